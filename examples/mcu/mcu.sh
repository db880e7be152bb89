#!/bin/sh
# mcu.sh HOST TABLES: mcu.c on emulated Cortex-M4 and M7 against HOST, the same program on a
# desktop; what is linked; what each part costs. Ends with `N passed, N failed`. See `make mcu`.
host=$1 tables=$2 b=build/mcu pass=0 fail=0
ok() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi; }
cc=arm-none-eabi-gcc
flags="-std=c99 -Os -mthumb -mfloat-abi=hard -ffunction-sections -fdata-sections -DFD_NO_STDIO \
    -DFD_STRICT -DNDEBUG -ffp-contract=off -fno-math-errno -I. -Iexamples/mcu"
m4="-mcpu=cortex-m4 -mfpu=fpv4-sp-d16" m7="-mcpu=cortex-m7 -mfpu=fpv5-d16"

library() {                        # folder, flags
    mkdir -p "$1"
    for f in fd fft nn sde; do
        if [ ! "$1/$f.o" -nt $f.c ] || [ ! "$1/$f.o" -nt fd.h ]; then
            # shellcheck disable=SC2086
            $cc $flags $2 -c -o "$1/$f.o" $f.c || return 1
        fi
    done
}
program() {                        # folder, flags, part
    # shellcheck disable=SC2086
    $cc $flags $2 -DPART=$3 -nostartfiles --specs=nosys.specs -Wl,--gc-sections \
        -T examples/mcu/board.ld -o "$1/$3.elf" examples/mcu/mcu.c examples/mcu/board.c "$tables" \
        "$1"/*.o -lm 2>"$1/log"
}
run() {                            # machine, folder, part: its output
    timeout 120 qemu-system-arm -M "$1" -nographic -icount shift=0 -kernel "$2/$3.elf" \
        -semihosting-config enable=on,target=native </dev/null >"$2/$3.out" 2>&1
}
note() { sed -n "s/^# $2: //p" "$1"; }

library $b/m4 "$m4" && library $b/m4-small "$m4 -DFD_SMALL" &&
    library $b/m7-small "$m7 -DFD_SMALL" && library $b/m4-plain "$m4 -DFD_SMALL -DFD_PLAIN"
ok $? "the library does not compile"
$host >$b/host.out; ok $? "the desktop's program"
grep -v '^#' $b/host.out
for cpu in "m4 mps2-an386" "m7 mps2-an500"; do
    set -- $cpu
    d=$b/$1-small flag=$m4
    [ "$1" = m4 ] || flag=$m7
    program $d "$flag -DFD_SMALL" 4 && run "$2" $d 4; ok $? "cortex-$1"
    grep -v '^#' $d/4.out >$d/out
    grep -v '^#' $b/host.out | cmp -s - $d/out; ok $? "cortex-$1: another output"
    bad=$(arm-none-eabi-nm $d/4.elf | awk '$2 ~ /[TtWw]/ { print $3 }' | tr '\n' ' ' |
        grep -oEw 'malloc|_malloc_r|free|_free_r|_sbrk|printf|puts|fopen|abort|_write|__sinit' |
        tr '\n' ' ')
    [ -z "$bad" ]; ok $? "cortex-$1: linked: $bad"
    echo "cortex-$1: the same output, $(note $d/4.out ticks) ticks of 40 instructions"
done

echo
echo "bytes on a Cortex-M4               flash       flash    flash      RAM, of which"
echo "                                FD_SMALL  + FD_PLAIN  without   FD_SMALL   arena   stack"
for part in 1 2 3 4; do
    program $b/m4 "$m4" $part && program $b/m4-small "$m4 -DFD_SMALL" $part &&
        program $b/m4-plain "$m4 -DFD_SMALL -DFD_PLAIN" $part &&
        run mps2-an386 $b/m4-plain $part && run mps2-an386 $b/m4-small $part
    ok $? "part $part"
    for d in m4-small m4-plain m4; do    # .text and .data; .data and .bss, but for the stack
        arm-none-eabi-size $b/$d/$part.elf |
            awk 'NR == 2 { print $1 + $2, $2 + $3 - 65536 }' >$b/$d/size
    done
    read -r small static <$b/m4-small/size
    read -r plain _ <$b/m4-plain/size
    read -r large _ <$b/m4/size
    name=$(sed -n "${part}p" <<'END'
a random field
and samples, with an exact model
and posteriors
and a small network
END
    )
    stack=$(note $b/m4-small/$part.out "stack, bytes")
    printf '%-32s%8d %11d %8d   %8d%8d%8d\n' "$name" "$small" "$plain" "$large" \
        $((static + stack)) \
        "$(note $b/m4-small/$part.out "arena, bytes")" "$stack"
    [ $part != 2 ] || [ $((small <= 65536 && static + stack <= 16384)) = 1 ]
    ok $? "sampling: more than 64 or 16 KB"
done
echo "$pass passed, $fail failed"
[ $fail = 0 ]
