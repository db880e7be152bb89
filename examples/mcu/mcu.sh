#!/bin/sh
# mcu.sh HOST TABLES: mcu.c on emulated Cortex-M4 and M7 against HOST, the same program on a
# desktop; what is linked; what each part costs. Ends with `N passed, N failed`. See `make mcu`.
host=$1 tables=$2 b=build/mcu pass=0 fail=0
ok() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi; }
cc=arm-none-eabi-gcc
flags="-std=c99 -Os -mthumb -mfloat-abi=hard -ffunction-sections -fdata-sections -DFD_NO_STDIO \
    -DFD_STRICT -DNDEBUG -ffp-contract=off -fno-math-errno -I. -Iexamples/mcu"
# what may not be linked
heap='_*(malloc|calloc|realloc|free|sbrk)(_r)?'
stdio='_*(abort|f?puts|f?putc|putchar|fopen|fwrite|write|sinit|sfp|[a-z]*(printf|scanf)([_a-z]*))(_r)?'
m4="-mcpu=cortex-m4 -mfpu=fpv4-sp-d16" m7="-mcpu=cortex-m7 -mfpu=fpv5-d16"

library() {                        # folder, flags
    mkdir -p "$1"
    for f in fd fft nn sde; do
        for from in $f.c fd.h examples/mcu/mcu.sh; do      # this file has the flags
            [ ! "$1/$f.o" -nt $from ] || continue
            # shellcheck disable=SC2086
            $cc $flags $2 -c -o "$1/$f.o" $f.c || return 1
            break
        done
    done
}
program() {                        # folder, flags, part
    # shellcheck disable=SC2086
    $cc $flags $2 -DPART=$3 -nostartfiles --specs=nosys.specs -Wl,--gc-sections \
        -T examples/mcu/board.ld -o "$1/$3.elf" examples/mcu/mcu.c examples/mcu/board.c "$tables" \
        "$1"/*.o -lm 2>"$1/log" || { cat "$1/log"; return 1; }
}
run() {                            # machine, folder, part: its output
    timeout 120 qemu-system-arm -M "$1" -nographic -icount shift=0 -kernel "$2/$3.elf" \
        -semihosting-config enable=on,target=native </dev/null >"$2/$3.out" 2>&1
}
note() { sed -n "s/^# $2: //p" "$1"; }
# flash: .text and .data; what is always in RAM: .data and .bss, but for the room of the stack
sizes() { arm-none-eabi-size "$1" | awk 'NR == 2 { print $1 + $2, $2 + $3 - 65536 }'; }

library $b/m4 "$m4" && library $b/m4-small "$m4 -DFD_SMALL" &&
    library $b/m7-small "$m7 -DFD_SMALL" && library $b/m4-plain "$m4 -DFD_SMALL -DFD_PLAIN"
ok $? "the library does not compile"
[ $fail = 0 ] || { echo "$pass passed, $fail failed"; exit 1; }
$host >$b/host.out; ok $? "the desktop's program"
echo "32 points of each function, in rows of one deviation from 2 down to -2; dashes are 0"
echo
grep -v '^#' $b/host.out
for cpu in "m4 mps2-an386" "m7 mps2-an500"; do
    set -- $cpu
    d=$b/$1-small flag=$m4
    [ "$1" = m4 ] || flag=$m7
    program $d "$flag -DFD_SMALL" 4 && run "$2" $d 4; ok $? "cortex-$1"
    grep -v '^#' $d/4.out >$d/out
    grep -v '^#' $b/host.out | cmp -s - $d/out; ok $? "cortex-$1: another output"
    bad=$(arm-none-eabi-nm $d/4.elf | awk '{ print $NF }' | grep -xE "$heap|$stdio" | tr '\n' ' ')
    [ -z "$bad" ]; ok $? "cortex-$1: linked: $bad"
    sizes $d/4.elf >$d/size && read -r flash static <$d/size
    note $d/4.out ticks | awk -v name="cortex-$1" -v flash="$flash" -v ram="$static" \
        -v stack="$(note $d/4.out "stack, bytes")" '{    # a tick of the clock: 40 instructions
            printf "%s: the same output, %.1f million instructions, %d bytes of flash and %d of RAM\n",
                name, $1 * 40 / 1e6, flash, ram + stack }'
done

echo
echo "bytes on a Cortex-M4               flash       flash    flash      RAM, of which"
echo "                                FD_SMALL  + FD_PLAIN  without   FD_SMALL   arena   stack"
for part in 1 2 3 4; do
    program $b/m4 "$m4" $part && program $b/m4-small "$m4 -DFD_SMALL" $part &&
        program $b/m4-plain "$m4 -DFD_SMALL -DFD_PLAIN" $part &&
        run mps2-an386 $b/m4-plain $part && run mps2-an386 $b/m4-small $part
    ok $? "part $part"
    for d in m4-small m4-plain m4; do sizes $b/$d/$part.elf >$b/$d/size; done
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
    if [ $part = 2 ]; then
        [ $((small <= 65536 && static + stack <= 16384)) = 1 ]; ok $? "sampling: more than 64 or 16 KB"
    fi
done
echo "$pass passed, $fail failed"
[ $fail = 0 ]
