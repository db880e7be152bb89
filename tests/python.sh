#!/bin/sh
# python.sh LIBRARY [double]: examples/python, where there is a Python with numpy. Ends with
# `N passed, N failed`.
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 130' INT TERM
for python in python3 /usr/bin/python3 ""; do
    [ -n "$python" ] && "$python" -c 'import numpy' 2>/dev/null && break
done
if [ -z "$python" ]; then
    echo "skipped: Python: no python3-numpy"; echo "0 passed, 0 failed"; exit
fi
b=$(dirname "$1") pass=0 fail=0
FD=$b/fd FD_MODEL=$t/m.safetensors
export FD FD_MODEL
"$FD" train --data fields --limit 64 --grid 16x16 --net fno:width=8,modes=6,lift=16,proj=16 \
    --boundary neumann --process vp --steps 3 -o "$FD_MODEL" >"$t/log" 2>&1 || cat "$t/log"
"$python" tests/python.py "$@" >"$t/log" 2>&1
sed '$d' "$t/log"
# shellcheck disable=SC2046
set -- $(tail -n 1 "$t/log") "$2"
case "$2 $4" in
"passed, failed") pass=$1 fail=$3 ;;
*) tail -n 1 "$t/log"; fail=1 ;;
esac
if [ "$5" != double ]; then                # the page of a model of one's own, which is in float
    if "$python" examples/python/own.py >"$t/log" 2>&1; then pass=$((pass + 1))
    else cat "$t/log"; fail=$((fail + 1)); fi
fi
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
