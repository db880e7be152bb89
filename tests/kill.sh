#!/bin/sh
# kill.sh BUILD ROUNDS: runs of BUILD/fd train, sample and data that are killed at any instant and
# taken up again until they end: the files must have the bits of a run that nobody killed, and after
# each kill there is the old file or a whole one. Then two runs at once that write one file: it must
# be one of the two. Where something fails the killing ends. Last line: `N passed, N failed`.
B=$(cd "${1:-build}" && pwd) || exit 1
fd=$B/fd rounds=${2:-100}
D=$B/scratch.kill
rm -rf "$D" && mkdir -p "$D" && cd "$D" || exit 1
export FD_MEMORY=256M ASAN_OPTIONS=detect_leaks=0 OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
pass=0 fail=0 kills=0
report() {
    if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi
}
now() { date +%s%N; }
# 31 bits of chance: the seed is 1, so that a failure comes again
chance=1
draw() { chance=$(((chance * 1103515245 + 12345) % 2147483648)); drawn=$((chance / 65536 % $1)); }
# killed MILLISECONDS COMMAND...: killed at an instant before that, or over
killed() {
    draw "$1"; shift
    "$@" >out 2>err & pid=$!
    sleep "$(printf '0.%03d' $((drawn % 1000)))"
    if kill -KILL $pid 2>/dev/null; then kills=$((kills + 1)); fi
    wait $pid 2>/dev/null
}
took() { t0=$(now); "$@" >out 2>err; s=$?; ms=$((($(now) - t0) / 1000000 + 20)); return $s; }

# ---- train: after each step a file, which --resume takes up
train="--data fields:n=64 --grid 16x16 --net fno:width=8,layers=2,modes=6 --batch 8"
goes_on() {
    if [ -s k.safetensors ]; then echo "--data fields:n=64 --resume k.safetensors"
    else echo "$train"; fi
}
took "$fd" train $train --steps 30 --save-every 1 -o whole.safetensors
report $? "train: $(cat err)"
[ $ms -gt 999 ] && ms=999
"$fd" info whole.safetensors >want 2>&1
while [ $fail = 0 ] && [ $kills -lt $((rounds / 2)) ]; do
    rm -f k.safetensors*
    for i in 1 2 3; do
        killed $ms "$fd" train $(goes_on) --steps 30 --save-every 1 -o k.safetensors
        [ ! -e k.safetensors ] || "$fd" info k.safetensors >out 2>err
        report $? "train: a torn file after a kill: $(head -n 1 err)"
    done
    at=$("$fd" info k.safetensors 2>/dev/null | sed -n 's/^adam.step  *//p')
    [ "$at" = 30 ] || { "$fd" train $(goes_on) --steps 30 --save-every 1 -o k.safetensors >out 2>err
                        report $? "train does not go on: $(head -n 1 err)"; }
    cmp -s k.safetensors whole.safetensors
    report $? "train: other bits after kills"
done

# ---- data: the part of a file goes on
data="volcano -n 200 --grid 32x32"
took "$fd" data $data -o whole.npy --obs whole.obs.npy
report $? "data: $(cat err)"
[ $ms -gt 999 ] && ms=999
base=$kills
while [ $fail = 0 ] && [ $((kills - base)) -lt $((rounds / 3)) ]; do
    rm -f k.npy* k.obs.npy*
    for i in 1 2 3; do
        [ -e k.npy ] && [ -e k.obs.npy ] || killed $ms "$fd" data $data -o k.npy --obs k.obs.npy
        [ ! -e k.npy ] || cmp -s k.npy whole.npy; report $? "data: a torn file after a kill"
    done
    [ -e k.npy ] && [ -e k.obs.npy ] || { "$fd" data $data -o k.npy --obs k.obs.npy >out 2>err
        report $? "data does not go on: $(head -n 1 err)"; }
    cmp -s k.npy whole.npy && cmp -s k.obs.npy whole.obs.npy
    report $? "data: other bits after kills"
done

# ---- sample: the old file or the new one
sample="--model whole.safetensors --steps 20 -n 64"
took "$fd" sample $sample -o new.npy
report $? "sample: $(cat err)"
[ $ms -gt 999 ] && ms=999
"$fd" noise --grid 8 -o old.npy >out 2>&1
base=$kills
while [ $fail = 0 ] && [ $((kills - base)) -lt $((rounds - rounds / 2 - rounds / 3)) ]; do
    cp old.npy k.npy
    killed $ms "$fd" sample $sample -o k.npy
    cmp -s k.npy new.npy || cmp -s k.npy old.npy; report $? "sample: a torn file after a kill"
done

# ---- two at once
for i in 1 2 3 4 5 6 7 8 9 10; do
    for what in "sample $sample" "data $data"; do
        rm -f two.npy*
        "$fd" $what --seed 1 -o one.npy >out 2>&1; "$fd" $what --seed 2 -o other.npy >out 2>&1
        "$fd" $what --seed 1 -o two.npy >out.1 2>err.1 & p=$!
        "$fd" $what --seed 2 -o two.npy >out.2 2>err.2 & q=$!
        wait $p; s=$?; wait $q; r=$?
        grep -hvE '^(step|sample|read) [0-9]+ \(' err.1 err.2 >err
        [ $s = 0 ] || [ $r = 0 ]; report $? "two at once: both fail: $(cat err)"
        [ "$(wc -l <err)" = $(((s != 0) + (r != 0))) ]; report $? "two at once: $s, $r: $(cat err)"
        cmp -s two.npy one.npy || cmp -s two.npy other.npy
        report $? "two at once: fd $what: a file of neither"
    done
done
[ -z "$(ls | grep '\.tmp$' | grep '^two')" ]; report $? "two at once: $(ls | grep tmp) is left"
echo "$kills runs killed"
cd "$B" && rm -rf "$D"
echo "$pass passed, $fail failed"
[ $fail = 0 ]
