#!/bin/sh
# sum.sh COMMAND...: run each and print `N passed, N failed` for all of them. A command that ends
# without such a line, or with a status that does not match it, is one failure more.
t=$(mktemp) || exit 1
trap 'rm -f "$t"' EXIT
trap 'exit 130' INT TERM
pass=0 fail=0
for c in "$@"; do
    { sh -c "$c" 2>&1; echo "status $?"; } | tee "$t" | sed '/^status [0-9]*$/d'
    status=$(sed -n '$s/^status //p' "$t")
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$t" | tail -n 1)
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
