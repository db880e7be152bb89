#!/bin/sh
# readme.sh: run README's commands exactly as printed, in their order; each must end with status 0.
# Indented lines that begin with make, mkdir, gcc, build/ or out/ are commands. Before them README's
# C program is put where README says that it is saved; after them its file of samples must be there.
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
pass=0 fail=0
report() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "readme: failed: $2"; fi; }
grep -E '^    (make|mkdir|gcc|build/|out/)' README.md | sed 's/^    //; s/[[:space:]]*#.*//' >"$t/commands"
for c in 'make test' 'gcc .*libfd\.a' 'gcc .* sde\.c' 'out/' 'build/fd train' 'build/fd sample'; do
    grep -qE "^$c" "$t/commands"; report $? "no command like '$c' in README"
done
source=$(sed -n 's/^Saved as `\(out\/[a-z]*\.c\)`.*/\1/p' README.md)
[ -n "$source" ]; report $? "README does not say where its program is saved"
mkdir -p out && rm -f "${source%.c}.npy"
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$source"
while read -r c <&3; do
    echo "readme: $c"
    sh -c "$c" >"$t/log" 2>&1 </dev/null; s=$?
    report $s "$c"
    [ $s = 0 ] || tail -n 15 "$t/log"
done 3<"$t/commands"
[ -s "${source%.c}.npy" ]; report $? "README's program wrote no ${source%.c}.npy"
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
