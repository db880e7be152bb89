#!/bin/sh
# sum.sh [-p N] COMMAND...: run each, N at a time, and print `N passed, N failed` for all of them.
# What the first one prints is shown at once, what others print too if N is 1, else when they end.
# A command that ends without such a line, or with a status that does not match it, is one failure
# more.
if [ "$1" = --one ]; then                   # folder, N, number of the command
    f=$2/$4
    run() { sh -c "$(cat "$f.c")" 2>&1; echo "status $?"; }
    if [ "$3" = 1 ] || [ "$4" = 1 ]; then run | tee "$f" | sed '/^status [0-9]*$/d'
    else run >"$f"; sed '$d' "$f"; fi
    exit 0
fi
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 130' INT TERM
n=1
[ "$1" != -p ] || { n=$2; shift 2; }
i=0
for c in "$@"; do
    i=$((i + 1))
    printf '%s\n' "$c" >"$t/$i.c"
done
seq $i | xargs -P "$n" -n 1 sh "$0" --one "$t" "$n"

pass=0 fail=0 i=0
for c in "$@"; do
    i=$((i + 1))
    status=$(sed -n '$s/^status //p' "$t/$i")
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$t/$i" | tail -n 1)
    case $line in
    "") echo "FAILED: $c: no counts, status $status"; fail=$((fail + 1)); continue ;;
    esac
    set -- $line                            # the list of the loop is already expanded
    pass=$((pass + $1)) fail=$((fail + $3))
    if [ "$3" = 0 ] && [ "$status" != 0 ]; then
        echo "FAILED: $c: status $status"; fail=$((fail + 1))
    fi
done
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
