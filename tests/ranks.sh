#!/bin/sh
# ranks.sh PLAIN MPI: `fd train`, `sample` and `posterior` as 1, 2, 4 and 8 processes of MPI give
# the bits of one process of the plain program; a process that dies leaves a model that goes on to
# the same bits. Ends with `N passed, N failed`.
plain=$1 mpi=$2 pass=0 fail=0
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 130' INT TERM
ok() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "ranks: $2"; fi; }
# more processes than cores, by root as well, in a container as well
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 \
    OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none \
    OMP_NUM_THREADS=1
ranks() { n=$1; shift; mpirun -n "$n" "$mpi" "$@"; }
same() {                           # what, arguments of fd, name of the file
    what=$1 file=$3
    # shellcheck disable=SC2086
    "$plain" $2 -o "$t/1.$file" >"$t/log" 2>&1; ok $? "$what: $(tail -n 1 "$t/log")"
    for n in 1 2 4 8; do
        # shellcheck disable=SC2086
        ranks $n $2 -o "$t/$n.of.$file" >"$t/log" 2>&1; ok $? "$what, $n: $(tail -n 3 "$t/log")"
        cmp -s "$t/1.$file" "$t/$n.of.$file"; ok $? "$what: other bits from $n processes"
    done
}
train="train --data fields --limit 64 --grid 16x16 --net fno:width=8,modes=4,lift=16,proj=16 \
    --process vp --batch 16 --accumulate 8 --ema 0.9"
same training "$train --steps 20" model.safetensors
same "training of pairs" "train --pairs fields:fields --limit 64 --grid 16x16 --couple near \
    --net fno:width=8,modes=4,lift=16,proj=16 --batch 16 --accumulate 8 --steps 6" pairs.safetensors
printf "x,y,value\n0.1,0.2,0.5\n0.4,0.7,-0.3\n" >"$t/obs.csv"
printf "x,value\n0.1,0.5\n0.4,-0.3\n" >"$t/line.csv"
m="--model $t/1.model.safetensors"
same sampling "sample $m -n 21 --batch 2 --steps 5 --grid 20x20" samples.npy
same "a posterior by guidance" "posterior $m --obs $t/obs.csv --noise 0.1 --method pigdm -n 9 \
    --batch 1 --steps 5" guided.npy
same "a posterior by chains" "posterior --prior matern:nu=1.5,l=0.2 --grid 32 --obs $t/line.csv \
    --noise 0.1 --method pcn:chains=8,steps=50,burn=20 -n 17" chains.npy

# one process is killed in the middle
# shellcheck disable=SC2086
"$plain" $train --steps 400 -o "$t/whole.safetensors" >"$t/log" 2>&1
# shellcheck disable=SC2086
ranks 4 $train --steps 400 --save-every 10 -o "$t/cut.safetensors" >"$t/log" 2>&1 &
run=$!
for i in $(seq 600); do [ -s "$t/cut.safetensors" ] && break; sleep 0.1; done
victim=$(ps -wweo pid,args | grep -F "$t/cut.safetensors" | grep -v -e grep -e mpirun |
    awk 'NR == 3 { print $1 }')
kill -9 "$victim"; ok $? "no process to kill"
wait $run; [ $? != 0 ]; ok $? "a run that lost a process ended with status 0"
ranks 2 train --resume "$t/cut.safetensors" --data fields --limit 64 >"$t/log" 2>&1
ok $? "after a death: $(tail -n 3 "$t/log")"
cmp -s "$t/whole.safetensors" "$t/cut.safetensors"; ok $? "after a death: other bits"

refused() {                        # processes, what is said, arguments
    n=$1 say=$2; shift 2
    ranks "$n" "$@" >"$t/log" 2>&1; [ $? != 0 ] && [ "$(grep -c "^fd: $say" "$t/log")" = 1 ]
    ok $? "expected '$say' once: $(cat "$t/log")"
}
# shellcheck disable=SC2086
refused 3 "--accumulate: 3 processes do not divide 8 parts" $train --steps 3
refused 3 "--batch: 3 processes do not divide the batch of 16" train --data fields --limit 64 \
    --grid 16x16 --net fno:width=8,modes=4 --batch 16
refused 2 "certify: one process" certify --cov rbf:l=0.1
refused 2 "train: needs --data" train
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
