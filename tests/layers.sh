#!/bin/sh
# layers.sh DIR: the layout's promises, checked on the objects in DIR and on the sources: who may
# call whom, no state that changes, nothing from the C library that the library must not use, every
# public function tested. Of README and the other pages: every function that they name is declared,
# every file that they link to is there.
b=$1 pass=0 fail=0
ok() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "layers: $2"; fi; }
defined() { for f in "$@"; do nm "$b/$f.o" | awk '$2 ~ /^[TDBRWV]$/ {print $3}'; done | sort -u; }
wanted() { nm "$b/$1.o" | awk '$1 == "U" {print $2}' | sort -u; }
t=$(mktemp) || exit 1
trap 'rm -f "$t"' EXIT

# file: the layers that it may call
while read -r f below; do
    defined $below >"$t"
    bad=$(wanted "$f" | grep '^fd_' | grep -vxF -f "$t" | tr '\n' ' ')
    [ -z "$bad" ]; ok $? "$f.c calls a layer that it must not know: $bad"
    # .data.rel.ro is read-only once loaded; the arrays named last are stb_image_write's
    ours='^\.|stbi|asan|ubsan|omp_'
    ours="$ours|^(maps|firstmap|mapping|crc_table|lengthc|lengtheb|distc|disteb)\\."
    bad=$(objdump -t "$b/$f.o" | grep -E '[[:space:]](\.t?data|\.t?bss|\*COM\*)[[:space:]]' |
        awk '{print $NF}' | grep -vE "$ours" | tr '\n' ' ')
    [ -z "$bad" ]; ok $? "$f.c has state that can change: $bad"
    deny='^(rand|srand|time|getenv|exit|printf|puts|putchar|stdout|stderr|abort|system)$'
    # fd.o: stb_image_write's
    [ "$f" = fd ] || deny="$deny|^(malloc|calloc|realloc|free|fopen|fwrite|fread)\$"
    bad=$(wanted "$f" | grep -E "$deny" | tr '\n' ' ')
    [ -z "$bad" ]; ok $? "$f.c calls what the library must not: $bad"
done <<END
fft fft
fd fft fd
nn fft fd nn
sde fft fd sde
END

# the same bits are promised where float is computed as float, and refused elsewhere
for m in 0 1 2; do
    printf '#define FD_IMPL\n#include "fd.h"\n' | ${CC:-cc} -w -std=c99 -I. -DFD_STRICT \
        -U__FLT_EVAL_METHOD__ -D__FLT_EVAL_METHOD__=$m -E -x c - >/dev/null 2>&1
    [ $(($? == 0)) = $((m == 0)) ]; ok $? "FD_STRICT and FLT_EVAL_METHOD $m"
done

for n in $(sed '/^#ifdef FD_IMPL/,$d' fd.h | grep -oE '\bfd_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
do
    grep -qw -- "$n" tests/*.c; ok $? "$n is named in no test"
done
pages="README.md $(echo examples/*.md examples/*/*.md tests/*.md)"
for n in $(grep -ohE '\bfd_[a-z0-9_]+' $pages | sort -u); do
    grep -qw -- "$n" fd.h
    ok $? "$(grep -lw -- "$n" $pages | head -n 1) names $n, which fd.h does not have"
done
for p in $pages; do                # what a page links to or shows is there
    for n in $(grep -oE '\]\([^):]+\)' "$p" | sed 's/^](//; s/)$//'); do
        [ -e "$(dirname "$p")/$n" ]; ok $? "$p links to $n, which is not there"
    done
done
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
