#!/bin/sh
# readme.sh: run README's commands exactly as printed, in their order, and its C program; each must end
# with status 0. Indented lines that begin with make, mkdir or build/ are commands.
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
pass=0 fail=0
grep -E '^    (make|mkdir|build/)' README.md | sed 's/^    //; s/[[:space:]]*#.*//' >"$t/commands"
[ "$(wc -l <"$t/commands")" -ge 6 ] || { echo "readme: commands not found"; fail=1; }
while read -r c <&3; do
    echo "readme: $c"
    if sh -c "$c" >"$t/log" 2>&1 </dev/null; then pass=$((pass + 1))
    else fail=$((fail + 1)); echo "readme: failed: $c"; tail -n 15 "$t/log"; fi
done 3<"$t/commands"
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$t/twenty.c"
if ${CC:-cc} -std=c99 -I. -o "$t/twenty" "$t/twenty.c" build/libfd.a -lm -fopenmp && (cd "$t" && ./twenty && [ -s samples.npy ])
then pass=$((pass + 1)); else fail=$((fail + 1)); echo "readme: the C program failed"; fi
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
