#!/bin/sh
# fuzz.sh folder names runs seconds -- readers and parsers under libFuzzer: all targets, or those
# that are named, for some seconds or for so many inputs each. Seeds are files of tests/data; inputs
# that reach new code stay in folder/corpus/NAME, those that fail in folder/found. Prints a line for
# each target.
folder=$1 names=$2 runs=$3 seconds=$4
data=tests/data
all="npy idx load tensors npz json net foreign read-npy read-npz read-csv read-mat read-idx read-gz
     read-pt read-safetensors read-tensors picture obs values options spec"
[ -n "$names" ] || names=$all
mkdir -p "$folder/found"
status=0
# little memory that was freed is kept to be watched: what is kept must be cleared
export ASAN_OPTIONS="quarantine_size_mb=1:malloc_context_size=4:$ASAN_OPTIONS"

# seeds NAME folder -- what a target begins with
seeds() {
    case $1 in
    npy|read-npy) cp $data/read/*.npy "$2" ;;
    idx|read-idx) cp $data/read/*.idx "$2" ;;
    load) cp $data/read/*.npy $data/read/*.idx "$2" ;;
    npz|read-npz) cp $data/read/*.npz "$2" ;;
    tensors) cp $data/read/*.npz $data/read/*.safetensors $data/*.safetensors "$2" ;;
    read-safetensors) cp $data/read/*.safetensors $data/fno3.safetensors "$2" ;;
    json) for f in $data/read/*.safetensors $data/fno3.safetensors $data/was_gabor.safetensors; do
              python3 -c 'import sys
b = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(b[8:8 + int.from_bytes(b[:8], "little")])' "$f" "$2/$(basename "$f")"
          done ;;
    net) cp $data/before-*.safetensors $data/was_*.safetensors "$2" ;;
    foreign) for f in $data/fno*.* $data/operator*.* $data/uvit*.safetensors; do
              for how in '\001\001\001\000\000\002\001\001' '\001\002\001\001\001\003\002\002'; do
                  { cat "$f"; printf "$how"'\000\000\000\000\000\000\000\000'; } \
                      >"$2/$(basename "$f").$(printf '%s' "$how" | cksum | cut -c1-4)"
              done
          done ;;
    read-csv) cp $data/*.csv "$2"; printf 'a;b\r\n"1";2\r\n' >"$2/quoted" ;;
    read-mat) cp $data/read/*.mat "$2" ;;
    read-tensors) cp $data/read/*.* $data/fno3.safetensors "$2" ;;
    read-gz) cp $data/read/*.gz "$2" ;;
    read-pt) cp $data/read/*.pt "$2" ;;
    picture) for f in $data/read/*/*.[pPJ]*; do
                 cp "$f" "$2/$(basename "$(dirname "$f")")-$(basename "$f")"
             done ;;
    obs) i=0
         for t in 'x,value\n.12,1\n.35,-.4\n' 'x y value sd\n.1 .2 1 .5\n\n.3 1 2 .1\n' \
                  'x,y,z,value\n0,0,0,1e3\n' 'value;channel;x\n1;1;.5\n2;0;1\n'; do
             printf "\\$(printf %03o $i)$t" >"$2/$i"; i=$((i + 1))
         done ;;
    values) printf '{"schema":"a","tests":[{"case":1,"tolerance":1e-6,"what":"\\u00e9\\n"},[]]}' \
                >"$2/group" ;;
    options) printf '\000\n--data\nx.npy\n--net\nfno:width=8,layers=2\n--steps\n10' >"$2/train"
             printf '\001\n-n\n4\n--grid\n16x16\n--boundary\nneumann,periodic\n-o\nx.npy' \
                 >"$2/sample"
             printf '\002\n--cov=matern:nu=1.5,l=0.2\n--memory\n1G\n--seed\n7' >"$2/noise" ;;
    spec) i=0
          for t in matern:nu=1.5,l=0.2 vp:beta1=20 fno:width=8,modes=4 v edm snr uniform; do
              printf "\\$(printf %03o $i)$t" >"$2/$i"; i=$((i + 1))
          done ;;
    esac
}

for name in $names; do
    corpus=$folder/corpus/$name
    most=4096 program=fuzz-files
    case $name in
    npy|idx|load|read-npy|read-idx|read-csv|read-gz|obs|values|spec) most=600 ;;
    options) most=200 ;;
    json|read-mat) most=2048 ;;
    net|foreign) most=16384 program=fuzz ;;
    esac
    [ -z "$PROFILE" ] || program=fuzz
    mkdir -p "$corpus" "$folder/seeds/$name"
    seeds "$name" "$folder/seeds/$name"
    limit=-max_total_time=$seconds
    [ -z "$runs" ] || limit=-runs=$runs
    log=$folder/$name.log
    FUZZ=$name nice -n ${NICE:-5} "$folder/$program" $limit -max_len=$most -timeout=10 \
        -rss_limit_mb=2048 -use_value_profile=${PROFILE:-0} -close_fd_mask=3 -print_final_stats=1 \
        -artifact_prefix="$folder/found/$name-" "$corpus" "$folder/seeds/$name" >"$log" 2>&1
    code=$?
    count=$(sed -n 's/.*number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/.*average_exec_per_sec: *//p' "$log")
    if [ $code = 0 ]; then echo "$name: $count inputs, $rate a second, nothing found"
    else
        status=1
        why=$(grep -m1 'ERROR\|runtime error\|fuzz:' "$log")
        echo "$name: FAILED after $count inputs: $why; see $log"
        sed -n 's/.*Test unit written to /    /p' "$log"
    fi
done
exit $status
