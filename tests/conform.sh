#!/bin/sh
# conform.sh BUILD: fd vectors, fd conform and fd judge. Vectors are the same bytes twice, a second
# implementation (clients/client.py, numpy) agrees with all of them, and every fault that a group
# names, made by that implementation, is recognised. Programs that crash, hang or write nonsense
# get a line each; laws are judged right and wrong. Last line: `N passed, N failed`.
B=$(cd "${1:-build}" && pwd) || exit 1
fd=$B/fd src=$(cd "$(dirname "$0")" && pwd)
D=$B/scratch.conform
rm -rf "$D" && mkdir -p "$D" && cd "$D" || exit 1
export FD_MEMORY=256M ASAN_OPTIONS=detect_leaks=0 OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
pass=0 fail=0
report() {
    if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi
}
# run STATUS NAME COMMAND...: that status; standard output to out, errors to err
run() {
    s=$1 name=$2; shift 2
    "$@" >out 2>err; r=$?
    [ $r = "$s" ]
    report $? "$name: status $r, not $s: $(tail -n 2 out | tr '\n' ' ') $(head -n 1 err)"
}
says() { grep -qE -e "$1" out; report $? "'$1' not in: $(tail -n 4 out | tr '\n' ' ')"; }
# bad STATUS PATTERN ARGUMENTS...: one line on stderr with the pattern
bad() {
    s=$1 p=$2; shift 2
    "$fd" "$@" >out 2>err; r=$?
    [ $r = "$s" ] && [ "$(wc -l <err)" = 1 ] && grep -qE -e "$p" err
    report $? "fd $*: status $r, not $s, or not one line with '$p': $(head -n 2 err)"
}

# ---- the vectors
run 0 list "$fd" vectors --list; says '^convolutions  +spectral'; groups=$(awk '{ print $1 }' out)
[ "$(echo "$groups" | wc -l)" = 20 ]; report $? "groups: $groups"
run 0 vectors "$fd" vectors -o "it's vectors"; says '^20 groups, [0-9]+ cases'
mv "it's vectors" v
run 0 vectors "$fd" vectors -o v2
diff -r v v2 >diff; report $? "two runs, other bytes: $(head -n 1 diff)"
run 0 seed "$fd" vectors -o v3 --seed 2 --group attention
cmp -s v/attention/001.npz v3/attention/001.npz; [ $? = 1 ]; report $? "--seed changes nothing"
[ "$(ls v3 | wc -l)" = 2 ]; report $? "--group: $(ls v3)"
bad 2 "no such group; fd vectors --list" vectors -o v4 --group foo
bad 2 'vectors: needs --out FOLDER' vectors
: >file
bad 1 "--out: 'file': is not a folder" vectors -o file
bad 1 "--out: 'file/x': Not a directory" vectors -o file/x

# ---- programs that misbehave; the folder has a blank and a quote in its name
mkdir "it's" && mv v2 "it's/v"
odd() {                              # odd PATTERN SCRIPT: what a program that does so is told
    printf '%s\n' "$2" >odd.sh
    run 1 "$2" "$fd" conform "it's/v" --group langevin --timeout 2 --cmd 'sh odd.sh {in} {out}'
    says "langevin, case 1 .*: $1"; says '^langevin  +0 +0 +5 +0$'
}
odd 'it crashed: signal 11' 'kill -SEGV $$'
odd 'status 0, but it wrote nothing' 'true'
odd 'status 3: no GPU here' 'echo loading; echo "no GPU here" >&2; exit 3'
odd 'its output cannot be read: .*answer.npz' 'echo nonsense >"$2"'
odd "its output has no array 'y', but 'x'" 'cp "$1" "$2"'
odd 'what it wrote to .out. is not a file' 'mkfifo "$2"'
run 1 absent "$fd" conform "it's/v" --group langevin --cmd './nobody {in} {out}'
says 'case 1 .*: it did not start: .*nobody'
echo 'sleep 100 & sleep 100' >odd.sh
run 1 hang "$fd" conform "it's/v" --group langevin --timeout 0.2 --cmd 'sh odd.sh {in} {out}'
says 'case 3 .*: no answer after 0.2 s: it was ended'
says '^langevin: cases that were not tried: 2, since 3 in a row'; says '^langevin  +0 +0 +5 +0$'
run 1 unknown "$fd" conform "it's/v" --group langevin --cmd 'exit 77; : {in} {out}'
says '^0 of 0 cases pass: the program knows none of them$'
# one that knows the answers passes, but for what must be refused or must differ
echo 'cp "${1%.npz}.out.npz" "$2"' >odd.sh
run 1 cheat "$fd" conform v --cmd 'sh odd.sh {in} {out}'
says 'transforms, case 32 .*: it gives an answer where there is none: it should refuse'
says 'fields, case [0-9]+ .*: it gives the wrong answer'
says "fields, case [0-9]+ .*: its output has no array 'x'"
says '^convolutions  +20 +0 +0 +0$'; says '^schemes  +31 +0 +1 +0$'
bad 2 "conform: needs --cmd" conform v
bad 2 "'true': must hold \{in\} and \{out\}" conform v --cmd true
bad 1 'nowhere: No such file or directory; fd vectors -o nowhere writes' conform nowhere \
    --cmd 'x {in} {out}'
bad 1 'file: is not a folder' conform file --cmd 'x {in} {out}'
mkdir empty
bad 1 'empty: no vectors in it; fd vectors -o empty' conform empty --cmd 'x {in} {out}'
mkdir cut && head -c 900 v/langevin.json >cut/langevin.json
bad 1 'cut/langevin.json: is not JSON, or is damaged' conform cut --cmd 'x {in} {out}'
for text in '' '{' '[1, 2' '{"schema" 1}' '{"schema": }' '{"a": "x}' '{} {}' '{"a": tru}'; do
    printf '%s' "$text" >cut/langevin.json
    bad 1 'cut/langevin.json: is not JSON, or is damaged' conform cut --cmd 'x {in} {out}'
done
sed 's/fd-vectors-1/fd-vectors-9/' v/langevin.json >cut/langevin.json
bad 1 "langevin.json: its schema is 'fd-vectors-9', not fd-vectors-1" conform cut \
    --cmd 'x {in} {out}'
cp v/langevin.json cut/langevin.json
TMPDIR=$D bad 1 'cut/langevin/001.out.npz' conform cut --cmd 'cp v/langevin/001.npz {out}; : {in}'

# ---- judge
run 0 noise "$fd" noise --cov matern:nu=1.5,l=0.2 --grid 32 -n 400 -o x.npy
run 0 judge "$fd" judge x.npy --cov matern:nu=1.5,l=0.2; says '^nothing against the law: p = '
run 1 length "$fd" judge x.npy --cov matern:nu=1.5,l=0.25
says '^NOT THE LAW: .*by the variance of waves'
run 1 variance "$fd" judge x.npy --cov matern:nu=1.5,l=0.2,var=1.1; says '^NOT THE LAW'
run 1 smoothness "$fd" judge x.npy --cov matern:nu=2.5,l=0.2; says '^NOT THE LAW'
run 0 alpha "$fd" judge x.npy --cov matern:nu=1.5,l=0.25 --alpha 0
run 1 boundary "$fd" judge x.npy --cov matern:nu=1.5,l=0.2 --boundary neumann; says '^NOT THE LAW'
run 0 noise2 "$fd" noise --cov rbf:l=0.2 --grid 9x8 --boundary neumann,periodic --channels 2 \
    -n 300 -o c.npy
run 0 channels "$fd" judge c.npy --cov rbf:l=0.2 --boundary neumann,periodic --channels first
printf 'x,value\n.12,1\n.35,-.4\n.5,.2\n.9,.8\n' >obs.csv
run 0 posterior "$fd" posterior --grid 32 --obs obs.csv --noise 0.1 -n 400 -o post.npy
set -- judge post.npy --law posterior --obs obs.csv --boundary neumann --cov matern:nu=1.5,l=0.3
run 0 posterior "$fd" "$@" --noise 0.1; says 'variance of directions, part 8 of 8'
run 1 "other noise" "$fd" "$@" --noise 0.13; says '^NOT THE LAW'
run 1 "the prior" "$fd" judge post.npy --boundary neumann --cov matern:nu=1.5,l=0.3
says '^NOT THE LAW'
bad 2 'judge: needs a file of functions' judge
bad 2 '--cov: empirical is the spectrum of the functions themselves' judge x.npy --cov empirical
bad 2 '--law: mixture needs --mean' judge x.npy --law mixture
bad 2 '--law: posterior needs --obs' judge x.npy --law posterior
bad 2 '--obs: has no meaning with --law gauss' judge x.npy --obs obs.csv
bad 2 '--noise: has no meaning' judge x.npy --noise 1
bad 2 '--mean: x.npy has 400 functions: --law mixture' judge x.npy --mean x.npy
run 0 few "$fd" noise --grid 8 -n 5 -o few.npy
bad 1 'few.npy: 5 functions; 16 at least' judge few.npy
run 0 one "$fd" noise --grid 8 -n 1 -o one.npy
bad 1 'one.npy: 1 function; 16 at least' judge one.npy
mkfifo pipe
bad 1 'pipe: not a plain file' judge pipe

python=$(for p in python3 /usr/bin/python3; do
    $p -c 'import numpy' 2>/dev/null && echo $p && break
done)
if [ -z "$python" ]; then
    echo "skipped: programs in Python: no python3-numpy"
    echo "$pass passed, $fail failed"
    [ "$fail" = 0 ]; exit
fi

# ---- a second implementation: right, and with each fault of each group
run 0 client "$python" "$src/clients/client.py" --all v answers
echo 'cp "answers/$FAULT/${1#v/}" "$2"' >replay.sh
export FAULT=right
run 0 right "$fd" conform v --cmd 'sh replay.sh {in} {out}'
says '^([0-9]+) of \1 cases pass$'; says '^networks  +5 +0 +0 +0$'
"$python" - >list <<'END'
import json, os
for g in sorted(os.listdir("v")):
    if g.endswith(".json"):
        j = json.load(open("v/" + g))
        for f in j["notes"]:
            print(j["group"], f, *(sum(f in t[k] for t in j["tests"]) for k in ("faults", "also")))
        ids = {f for t in j["tests"] for k in ("faults", "also") for f in t[k]}
        assert ids == set(j["notes"]), g
END
report $? "a group's notes are not those of its cases"
[ "$(wc -l <list)" -ge 100 ]; report $? "only $(wc -l <list) faults"
while read -r group FAULT wrong also; do
    run $((wrong > 0)) "$group, $FAULT" "$fd" conform v --group "$group" \
        --cmd 'sh replay.sh {in} {out}' </dev/null
    [ "$wrong" = 0 ] || says "^$group: $wrong of $wrong failures are what this gives: .*\[$FAULT\]$"
    [ "$also" = 0 ] || says "^$group +[0-9]+ +$also +$wrong +0$"
done <list

run 0 smooth "$fd" noise --cov rbf:l=0.3 --grid 32 -n 400 -o s.npy

# ---- vectors that were changed on purpose: one case of each group fails
"$python" - <<'END'
import json, numpy, os, shutil
shutil.copytree("v", "changed")
for g in os.listdir("v"):
    if not g.endswith(".json"): continue
    name = "changed/%s/001.out.npz" % g[:-5]
    with numpy.load(name) as f: a = {k: f[k] for k in f.files}
    first = next(iter(a))
    y = a[first].reshape(-1).copy()
    y[0] += 1e-2 * abs(y).max()
    a[first] = y.reshape(a[first].shape)
    numpy.savez(name, **a)
with numpy.load("v/langevin/001.npz") as f: numpy.savez("wide.npz", y=numpy.ones((2, 8)))
numpy.savez("nan.npz", y=numpy.array([1, 2, 3, numpy.nan, 5, 6, 7, 8.]))
numpy.savez_compressed("seven.npz", y=numpy.ones(7))
numpy.savez("whole.npz", y=numpy.arange(8), z=numpy.ones(3))
numpy.savez("ints.npz", y=numpy.arange(8))
numpy.save("bare.npy", numpy.ones(8))
near = numpy.load("v/langevin/001.out.npz")["y"]
numpy.savez("near.npz", y=near * (1 + 1.5e-4 * (-1) ** numpy.arange(8)))
for t in json.load(open("v/fields.json"))["tests"]:       # of its law of functions, the first
    if t["compare"] == "law":
        lost = numpy.ones([t["params"]["count"]] + t["params"]["n"])
        lost.flat[1] = numpy.inf
        numpy.savez("lost.npz", x=lost)
        break
x = numpy.load("x.npy")
mean = 2 * x[:3]
pick = numpy.random.default_rng(1).integers(0, 3, 400)
numpy.save("means.npy", mean)
numpy.save("mixture.npy", (x[::-1] + mean[pick]).astype("f4"))
numpy.save("two.npy", (x[::-1] + mean[pick % 2]).astype("f4"))
rough = numpy.cos(18 * numpy.pi * numpy.arange(32) / 32) * numpy.array([[1], [-1]])
numpy.save("rough.npy", rough)
numpy.save("smooth.npy", (numpy.load("s.npy") + rough[numpy.arange(400) % 2]).astype("f4"))
numpy.save("same.npy", numpy.repeat(x[:100], 4, 0))
scale = numpy.random.default_rng(2).choice([.5, 1.3229], (400, 1))
numpy.save("heavy.npy", (x * scale).astype("f4"))
numpy.save("large.npy", 1e31 * x)
k = numpy.abs(numpy.fft.fftfreq(32, 1 / 32)) * 2 * numpy.pi         # with noise in Nyquist's mode
lam = 4 * (3 / .04) ** 1.5 * (3 / .04 + k ** 2) ** -2
z = numpy.fft.fft(numpy.random.default_rng(3).standard_normal((400, 32)))
own = numpy.fft.ifft(z * numpy.sqrt(lam * 32)).real
numpy.save("nyquist.npy", own.astype("f4"))
numpy.save("own.npy", numpy.fft.ifft(z * numpy.sqrt(lam * 32) * (numpy.arange(32) != 16)).real)
END
echo 'cp "answers/right/${1#changed/}" "$2"' >replay.sh
run 1 changed "$fd" conform changed --cmd 'sh replay.sh {in} {out}'
for g in $groups; do
    says "^$g, case 1 .* differs by 0.0[01]"; says "^$g  +[0-9]+ +[0-9]+ +1 +0$"
done
odd 'y is 2x8, not 8' 'cp wide.npz "$2"'
odd "its output has no array 'y' of real numbers, but int64: whole numbers" 'cp whole.npz "$2"'
odd "its output has no array 'y' of real numbers, but int64: whole numbers" 'cp ints.npz "$2"'
odd "its output has no array 'y': it is one array without a name" 'cp bare.npy "$2"'
odd 'y differs by 0.000[0-9]* of its size$' 'cp near.npz "$2"'
odd 'y is 7, not 8' 'cp seven.npz "$2"'
odd 'y has NaN or infinity, at entry 3' 'cp nan.npz "$2"'
echo 'grep -q "\"functions\"" "${1%.npz}.json" || exit 77; cp lost.npz "$2"' >odd.sh
run 1 'no numbers' "$fd" conform v --group fields --cmd 'sh odd.sh {in} {out}'
says 'fields, case [0-9]+ .functions of .*: x has NaN or infinity, at entry 1$'
set -- judge mixture.npy --law mixture --mean means.npy --cov matern:nu=1.5,l=0.2
run 0 mixture "$fd" "$@"; says 'how often each of the 3 means comes'
run 1 "two means" "$fd" judge two.npy --law mixture --mean means.npy --cov matern:nu=1.5,l=0.2
says 'how often each of the 3 means comes .*<-$'
# means that differ where the law has no variance, each for half of the functions
run 0 "rough means" "$fd" judge smooth.npy --law mixture --mean rough.npy --cov rbf:l=0.3
# noise that NumPy has made: right, and with its Nyquist mode
run 0 own "$fd" judge own.npy --cov matern:nu=1.5,l=0.2,norm=image
run 1 nyquist "$fd" judge nyquist.npy --cov matern:nu=1.5,l=0.2,norm=image
says '^NOT THE LAW: .*by the part of .x..2 in Nyquist modes'
bad 1 'large.npy: function [0-9]+ holds .*: too large$' judge large.npy
run 1 repeated "$fd" judge same.npy --cov matern:nu=1.5,l=0.2
says 'correlation of one function with the next .*<-$'
run 1 heavy "$fd" judge heavy.npy --cov matern:nu=1.5,l=0.2; says 'energy of a function .*<-$'

# ---- the example client, and a library's lines with a fault of their own
for g in convolutions attention langevin posteriors; do
    run 0 "client.py $g" env TMPDIR="$D" "$fd" conform --group $g \
        --cmd "$python $src/../examples/tool/client.py {in} {out}"
    says '^([1-9][0-9]*) of \1 cases pass$'
done
ls -d fd-conform-* 2>/dev/null; [ $? != 0 ]; report $? "fd conform leaves its folder"
[ "$(wc -l <"$src/../examples/tool/client.py")" -le 60 ]
report $? "client.py: longer than 60 lines"
run 1 shifted "$fd" conform v --group convolutions \
    --cmd "$python $src/clients/shifted.py {in} {out}"
says '^convolutions: 5 of 5 failures are what this gives: .*\[odd-shift\]$'

# ---- conform.md's client in PyTorch
if "$python" -c 'import torch' 2>/dev/null; then
    sed -n '/^```python$/,/^```$/p' "$src/../examples/tool/conform.md" | sed '/^```/d' >net.py
    run 0 PyTorch "$fd" conform v --group attention --cmd "$python net.py {in} {out}"
    says '^attention  +3 +0 +0 +2$'
else echo "skipped: a client in PyTorch: no python3-torch"
fi
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
