#!/bin/sh
# tool.sh BUILD: the behaviour of BUILD/fd: what it writes, what it says, how it fails.
# Last line: `N passed, N failed`.
B=$(cd "${1:-build}" && pwd) || exit 1
fd=$B/fd src=$(cd "$(dirname "$0")" && pwd)
D=$B/scratch.tool
rm -rf "$D" && mkdir -p "$D" && cd "$D" || exit 1
export FD_MEMORY=256M ASAN_OPTIONS=detect_leaks=0 OMP_WAIT_POLICY=passive
pass=0 fail=0

report() {
    if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi
}
# ok TEXT COMMAND...: the command succeeds and says nothing on stderr but progress
ok() {
    name=$1; shift
    "$@" >out 2>err; s=$?
    grep -vE '^(step|sample|read) [0-9]+ \(' err >err.rest
    [ $s = 0 ] && [ ! -s err.rest ]; r=$?
    report $r "$name: status $s: $(head -n 2 err.rest)"
    return $r
}
# says PATTERN FILE
says() { grep -qE -e "$1" "$2"; report $? "'$1' not in $2: $(head -n 3 "$2")"; }
# bad STATUS PATTERN ARGUMENTS...: that status, one line on stderr, in which the pattern is, and no
# file
bad() {
    s=$1 p=$2; shift 2
    ls -lR . | tr -s ' ' >before; : >err
    "$fd" "$@" >out 2>err; r=$?
    grep -vE '^(step|sample|read) [0-9]+ \(' err >err.rest; mv err.rest err
    [ $r = "$s" ]; report $? "fd $*: status $r, not $s: $(head -n 1 err)"
    [ "$(wc -l <err)" = 1 ] && grep -q '^fd: ' err
    report $? "fd $*: not one line: $(head -n 3 err)"
    grep -qE -e "$p" err; report $? "fd $*: no '$p' in: $(head -n 1 err)"
    ls -lR . | tr -s ' ' | grep -vE ' (before|err|out|err.rest|after)$|^total ' >after
    grep -vE ' (before|err|out|err.rest|after)$|^total ' before | diff -q - after >/dev/null
    report $? "fd $*: files changed"
    grep -q '^wrote' out; [ $? != 0 ]; report $? "fd $*: says that it wrote"
}
same() { cmp -s "$1" "$2"; report $? "$1 and $2 differ"; }
exists() { for f in "$@"; do [ -s "$f" ]; report $? "$f is missing or empty"; done; }

# ---- help: from the tables that parse
ok help "$fd" help && says 'fd train' out
ok help "$fd" --help
for c in train sample noise data eval certify orders posterior calibrate bridge tune loglik \
    vectors conform \
    judge info convert; do
    ok "help $c" "$fd" help $c && says '--memory SIZE' out && mv out help.1
    ok "$c --help" "$fd" $c --help && same out help.1
done
for t in cov process net flip optimizer predict precond weight norm time-law scheme times start \
    corrector boundary map fields as method observe operator condition \
    between couple op data reward tuning law; do
    ok "help $t" "$fd" help $t && says "^$t: " out
done
"$fd" help process >out; says '^  heat-cosine' out; "$fd" help cov >out; says 'nu=1.5' out
says '^  bridge' out
"$fd" help scheme >out; says 'pf-heun' out

ok version "$fd" --version && says '^fd .*(float|double)' out
# ---- flags that a command does not know: none of them, and those of another
for c in $("$fd" help | sed -n 's/^  fd \([a-z]*\) .*/\1/p' | grep -v help); do
    bad 2 '--foo: unknown flag; nearest are --[a-z-]+.*; fd help [a-z]+ lists all' $c --foo
    bad 2 "'--': expected a flag; fd help $c lists them" $c --
    bad 2 "'--=3': expected a flag" $c --=3
    bad 2 "'-x': expected a flag" $c -x
    "$fd" help $c | sed -n 's/^  --\([a-z-]*\) .*/\1/p' >flags
    for f in net samples tol churn as probes; do
        grep -qx -e "$f" flags || bad 2 "^fd: --$f: unknown flag; nearest are --" $c --$f 3
    done
done
bad 2 'unknown flag' info --"$(printf '%0200d' 0)"
for s in -1 1.5 x '' 18446744073709551616 1e3; do
    bad 2 '--seed: .*expected a whole number from 0 to 18446744073709551615' noise --grid 8 \
        --seed "$s"
done

# ---- noise
ok noise "$fd" noise --cov matern:nu=1.5,l=0.1 --grid 64x64 -n 16 -o noise.npy --png noise.png
says '^wrote noise.npy$' out; says '^wrote noise.png$' out; exists noise.npy noise.png
[ "$(od -A n -t x1 -N 8 noise.png | tr -d ' ')" = 89504e470d0a1a0a ]
report $? "noise.png is no PNG"
ok info "$fd" info noise.npy && says '^\(16, 64, 64\)  min -[0-9]' out
ok noise "$fd" noise --cov=matern:nu=1.5,l=0.1 --grid=64x64 --n=16 --out=again.npy &&
    same noise.npy again.npy
ok noise "$fd" noise --grid 64x64 --first 9 -n 7 -o part.npy
tail -c 28672 noise.npy >x && tail -c 28672 part.npy >y && same x y
ok threads "$fd" noise --grid 64x64 -n 16 --threads 1 -o again.npy && same noise.npy again.npy
ok seed "$fd" noise --grid 64x64 -n 16 --seed 2 -o again.npy
cmp -s noise.npy again.npy; [ $? = 1 ]; report $? "--seed changes nothing"
# 2^53 and 2^53 + 1 are two seeds
for i in 2 3; do
    ok "seed 2^53" "$fd" noise --grid 64 -n 2 --seed 900719925474099$i -o seed$i.npy
done
cmp -s seed2.npy seed3.npy; [ $? = 1 ]; report $? "a large --seed is rounded"
for c in white:s=0.5,kmax=3 rbf:l=0.2 matern:nu=2.385,l=0.3,var=2 exp power:alpha=2.385,var=1 \
    bessel:gamma=3; do
    ok "$c" "$fd" noise --cov $c --grid 15x9 -n 3 -o c.npy
    for b in neumann dirichlet mixed periodic,neumann; do
        ok "$c $b" "$fd" noise --cov $c --grid 15x9 --boundary $b -n 3 -o c.npy
    done
done
ok bridge "$fd" noise --cov bridge --boundary dirichlet --grid 50 -o c.npy --png c.png &&
    exists c.png
ok brownian "$fd" noise --cov brownian:var=2 --boundary mixed --grid 50 -o c.npy
ok 3-D "$fd" noise --grid 5x6x7 -n 2 -o c.npy --png c.png && "$fd" info c.npy >out &&
    says '^\(2, 5, 6, 7\)' out
ok channels "$fd" noise --grid 5x6 -n 2 --channels 3 -o c.npy && "$fd" info c.npy >out &&
    says '^\(2, 3, 5, 6\)' out
# the same function on another grid: point i of 32 is point 2i of 64
ok fine "$fd" noise --cov rbf:l=0.2 --grid 64 -n 1 -o fine.npy
ok coarse "$fd" noise --cov rbf:l=0.2 --grid 32 -n 1 -o coarse.npy
w=$((($(wc -c <fine.npy) - $(wc -c <coarse.npy)) / 32))
for f in fine coarse; do
    n=64; [ $f = fine ] || n=32
    tail -c $((n * w)) $f.npy | od -A n -v -t f$w -w$w >$f.txt
done
awk 'NR == FNR { x[NR] = $1; next } { d = $1 - x[2 * FNR - 1]; if (d < 0) d = -d; if (d > m) m = d;
    n++ }
     END { exit !(n == 32 && m < 1e-3) }' fine.txt coarse.txt
report $? "two grids, two functions"

# ---- certify --conditions: smoother data, equally smooth ones, white noise, heat
ok conditions "$fd" certify --conditions --grid 64 --cov matern:nu=0.5,l=0.1 \
    --target matern:nu=1.5,l=0.3
says '^Tr C .*converges' out; says '^Feldman-Hajek sum .*converges' out
says '^max a\^2/lam .*DIVERGES' out; says 'is equivalent' out
"$fd" certify --conditions --grid 64 --cov matern:nu=1.5,l=0.2 --target matern:nu=1.5,l=0.3 >out \
    2>err; [ $? = 1 ]; report $? "conditions: status"
says '^Feldman-Hajek sum .*DIVERGES' out; says '^Tr C .*converges' out; says '^NOT SO' out
"$fd" certify --conditions --grid 64 --cov white >out 2>err; [ $? = 1 ]
report $? "conditions: status"
says '^Tr C .*DIVERGES' out; says '^Feldman-Hajek sum .*converges' out
ok "conditions, heat" "$fd" certify --conditions --grid 16x12 --process heat --cov rbf:l=0.2 \
    --target rbf:l=0.4
says '^max a  .*DIVERGES' out; says '^\|A Q\^1/2\|\^2 .*converges' out
# ---- posterior, calibrate
printf 'x,value\n.12,1\n.35,-.4\n.5,.2\n.9,.8\n' >obs.csv
for m in exact conditional guide pigdm project project:corrector=2 denoised split particles esmda \
    langevin \
    pcn:steps=2000 mala:steps=500 hmc:steps=200 slice:steps=500 latent:steps=200,burn=100 \
        dps:zeta=0.1; do
    ok "posterior $m" "$fd" posterior --grid 32 --obs obs.csv --noise 0.1 --method $m -n 64 \
        --steps 40 -o post.npy
    says '^wrote post.npy' out; says 'log p\(y\) -5' out
    # the error of the mean: chance alone is .06
    awk '/^error of the mean/ { e = $5 + 0; f = 1 } END { exit !(f && e < .35) }' out
    report $? "posterior $m: $(grep '^error' out)"
done
for m in flat prior; do
    ok "posterior $m" "$fd" posterior --grid 32 --obs obs.csv --noise 0.1 --method $m -n 64 \
        --steps 40 -o post.npy
    awk '/^error of the mean/ { e = $5 + 0 } END { exit !(e > .7) }' out
    report $? "posterior $m: $(grep '^error' out)"
done
# as released: with nearly white noise on 32 points not far off, with noise like the prior's they
# fail
for m in fundps diffusionpde fundps:loss=root daps daps:plain=yes eci:noise=own \
    eci:noise=own,norm=cm; do
    ok "posterior $m" "$fd" posterior --grid 32 --cov exp:l=0.01 --obs obs.csv --noise 0.1 \
        --method $m -n 64 -o post.npy
    awk '/^error of the mean/ { e = $5 + 0; f = 1 } END { exit !(f && e < .4) }' out
    report $? "posterior $m: $(grep '^error' out)"
done
for m in fundps diffusionpde daps:plain=yes eci:noise=own; do
    ok "posterior $m" "$fd" posterior --grid 32 --obs obs.csv --noise 0.1 --method $m -n 64 \
        -o post.npy
    awk '/^error of the mean/ { e = $5 + 0 } END { exit !(e > .7) }' out
    report $? "posterior $m: $(grep '^error' out)"
done
ok "posterior eci" "$fd" posterior --grid 32 --obs obs.csv --method eci -n 64 --process flow \
    -o post.npy
awk '/^error of the mean/ { sub(/,/, "", $9); e = $9 + 0 } END { exit !(e > 2) }' out
report $? "posterior eci: $(grep '^error' out)"
ok "posterior daps" "$fd" posterior --grid 16 --obs obs.csv --noise 0.1 --method daps -n 5 \
    --steps 10 --batch 2 -o a.npy
ok "posterior daps" "$fd" posterior --grid 16 --obs obs.csv --noise 0.1 --method daps -n 5 \
    --steps 10 --batch 5 -o b.npy
same a.npy b.npy
ok "the same posterior" "$fd" posterior --grid 32 --obs obs.csv --noise 0.1 --method pigdm -n 8 \
    --batch 3 -o a.npy --png a.png
ok "the same posterior" "$fd" posterior --grid 32 --obs obs.csv --noise 0.1 --method pigdm -n 8 \
    --batch 8 -o b.npy
same a.npy b.npy; exists a.png
printf 'x,y,value,sd\n.2,.3,1,.1\n.6,.9,-1,.2\n' >obs2.csv
ok "posterior 2-D" "$fd" posterior --grid 12x9 --obs obs2.csv --method project -n 4 --steps 20 \
    -o post.npy --png p.png && exists p.png
ok "without noise" "$fd" posterior --grid 32 --obs obs.csv --method project -n 4 --steps 20 \
    -o post.npy
says 'of the draws (0|[0-9.]*e-)' out
bad 1 '^fd: [.]: Is a directory$' posterior --grid 32 --obs . --noise 0.1
bad 1 'a smaller zeta, or more --steps' posterior --grid 32 --obs obs.csv --noise 0.001 \
    --method dps:zeta=1
ok calibrate "$fd" calibrate --grid 24 --method exact -n 100 --csv c.csv --png c.png
says '^calibrated' out; exists c.png; exists c.csv
ok calibrate "$fd" calibrate --grid 24 --method pigdm -n 60 --steps 30 -o ranks.csv &&
    says '^calibrated' out && exists ranks.csv
for m in prior dps; do
    "$fd" calibrate --grid 24 --method $m -n 60 --steps 30 >out 2>err; [ $? = 1 ]
    report $? "calibrate $m: status"
    says '^NOT CALIBRATED' out
done
# data of the papers' problems
for d in darcy poisson flow:time=0.1 volcano outlines mixture heat blur radon allen-cahn:time=0.5 \
    field; do
    ok "data $d" "$fd" data $d -n 3 --grid 16x16 -o d.npy --png p.png && says '^3 functions' out
done
ok "data burgers" "$fd" data burgers:time=0.2 -n 3 --grid 32 -o d.npy --obs d0.npy
for d in well levy levy:law=student levy:law=bernoulli bumps field; do
    ok "data $d" "$fd" data $d -n 3 --grid 32 -o d.npy
done
ok "field" "$fd" data field --cov rbf:l=0.3 -n 3 --grid 32 -o d.npy
ok "noise" "$fd" noise --cov rbf:l=0.3 -n 3 --grid 32 -o d1.npy && same d.npy d1.npy
ok "pressures" "$fd" data darcy -n 5 --grid 16x16 -o d.npy --obs p.npy
ok "one thread" "$fd" data darcy -n 5 --grid 16x16 --threads 1 -o d1.npy --obs p1.npy
same d.npy d1.npy; same p.npy p1.npy
ok "the last two" "$fd" data darcy -n 2 --first 3 --grid 16x16 -o d1.npy --obs p1.npy
tail -c 2048 d.npy >d.end; tail -c 2048 d1.npy >d1.end; same d.end d1.end
tail -c 2048 p.npy >d.end; tail -c 2048 p1.npy >d1.end; same d.end d1.end
ok "two channels" "$fd" data volcano -n 2 --grid 8x8 -o d.npy --obs p.npy
ok "of cos and sin" "$fd" info d.npy && says '^.2, 2, 8, 8.' out
# a run that was stopped: at any number of bytes, or at any time
ok "whole" "$fd" data volcano -n 60 --grid 32x32 -o whole.npy --obs whole.obs.npy
for k in 1 20 40 200 700; do
    (ulimit -f $k; "$fd" data volcano -n 60 --grid 32x32 --threads 1 -o stop.npy \
        --obs stop.obs.npy >out 2>err) 2>/dev/null
    grep -q '^OMP: System error' err && continue     # LLVM's OpenMP writes a file before it begins
    [ ! -e stop.npy ] && [ -e stop.npy.part ]; report $? "a run of $k blocks left no part of a file"
done
bad 1 'other settings' data volcano -n 60 --grid 32x32 --seed 2 -o stop.npy
ok "goes on" "$fd" data volcano -n 60 --grid 32x32 --threads 3 -o stop.npy --obs stop.obs.npy
says '^[0-9]+ functions? (is|are) there already' out; same stop.npy whole.npy
same stop.obs.npy whole.obs.npy
[ ! -e stop.npy.part ] && [ ! -e stop.obs.npy.part ]; report $? "the part stays"
# memory that runs out is no reason to lose what there is; a disk that is too small is seen at once
(ulimit -f 40; "$fd" data volcano -n 60 --grid 32x32 --threads 1 -o less.npy >out 2>err) 2>/dev/null
m=100; while [ $m -lt 900 ] && ! "$fd" data volcano -n 60 --grid 32x32 --threads 1 -o less.npy \
    --memory ${m}K >out 2>err &&
    ! grep -q 'kept for a run with more memory' out; do m=$((m + 4)); done
says '^fd: .*; give more by --memory' err; says '^[0-9]+ functions? (is|are) kept' out
ok "goes on with more memory" "$fd" data volcano -n 60 --grid 32x32 --threads 1 -o less.npy &&
    same less.npy whole.npy
ok "one function" "$fd" data field -n 1 --grid 8 -o one.npy && says '^1 function in ' out
bad 1 '^fd: --out: none.npy: [0-9]+ MB are to be written, and there is room for' data heat \
    -n 100000000 --grid 512x512 -o none.npy
rm stop.npy; "$fd" data flow:time=0.2 -n 40 --grid 32x32 -o whole.npy >out 2>&1
"$fd" data flow:time=0.2 -n 40 --grid 32x32 -o stop.npy >out 2>&1 &
sleep 0.1; kill -9 $! 2>/dev/null; wait $! 2>/dev/null
[ -e stop.npy ] || ok "goes on after a kill" "$fd" data flow:time=0.2 -n 40 --grid 32x32 -o stop.npy
same stop.npy whole.npy
# two at once: the second one says so, and the first, which waits meanwhile, goes on
"$fd" data flow:time=4 -n 40 --grid 32x32 -o two.npy >out.1 2>&1 & pid=$!
i=0; while [ ! -s two.npy.part ] && [ $i -lt 500 ]; do sleep 0.01; i=$((i + 1)); done
kill -STOP $pid
"$fd" data flow:time=4 -n 40 --grid 32x32 --seed 2 -o two.npy >out 2>err
[ $? = 1 ] && [ "$(wc -l <err)" = 1 ]; report $? "two at once: $(head -n 2 err)"
says 'two.npy.part: another run is writing it' err
kill -CONT $pid
wait $pid; report $? "two at once: the first one: $(head -n 1 out.1)"
"$fd" data flow:time=4 -n 40 --grid 32x32 -o one.npy >out 2>&1; same two.npy one.npy
# what does not fit
bad 2 'views: .0.: expected a number from 1 ' data radon:views=0 --grid 8x8
bad 2 'angle: .91.: expected a number from 0.001 to 90' data radon:angle=91 --grid 8x8
bad 2 'dt: .2.: expected a number from 1e-09 to 1' data allen-cahn:dt=2 --grid 8x8
bad 1 'smaller dt: function 0$' data allen-cahn:noise=1e6 --grid 8x8
bad 2 'l = 20 the start has a deviation of .*: take a smaller l' data allen-cahn:l=20 --grid 8x8
bad 2 'nu: .-1.: expected a number from 0 ' data flow:nu=-1 --grid 8x8
bad 2 'k2 = 19.48683968 is an eigenvalue' data poisson:k2=19.486839677110588 --grid 7x7
bad 2 '^fd: --cov: is of field' data heat --cov rbf --grid 8x8
bad 1 'a value is not finite: function 0$' data levy:law=student,nu=0.001 -n 2 --grid 64 -o none.npy
bad 1 'a value is not finite: function 0$' data outlines -n 2 --grid 1x1 -o none.npy
printf 'of another program' >none.npy.part
bad 1 'other settings' data heat -n 2 --grid 8x8 -o none.npy
rm none.npy.part
for f in ./none.npy none.npy.part; do
    bad 2 '^fd: --obs: .*--out writes there' data heat -n 2 --grid 8x8 -o none.npy --obs $f
done
bad 1 'No such file' data field --grid 8x8 -o none/d.npy
bad 2 'which.' data --grid 8x8
bad 2 'expected darcy' data swamp --grid 8x8
bad 2 'needs --grid' data darcy
bad 2 'wants a square grid' data darcy --grid 8x9
bad 2 'wants a line' data well --grid 8x8
bad 2 'too short' bridge --double-well --time 1e-4
bad 2 '^fd: --n: not with --bridge' certify --bridge heat -n 8
ok 'many threads' "$fd" data outlines:size=0.01 -n 80 --grid 4x4 --threads 70 -o d.npy
bad 2 'nothing goes with' data well --grid 8 --obs p.npy
bad 2 '^fd: --boundary: flow has its own' data flow --grid 8x8 --boundary neumann
bad 1 'too long for this flow' data flow:dt=0.5,tau=1,force=1000 --grid 8x8
# observations of solutions
printf 'x,y,value\n.2,.3,.05\n.5,.5,.08\n.8,.7,.05\n' >darcy.csv
ok "darcy, chain" "$fd" posterior --op darcy --grid 8x8 --obs darcy.csv --noise 0.01 \
    --method pcn:steps=400,burn=100 -n 8 -o post.npy --png p.png && says '^acceptance' out
ok "darcy, ensemble" "$fd" posterior --op darcy:faces=arithmetic --grid 8x8 --obs darcy.csv \
    --noise 0.01 \
    --method esmda -n 64 -o post.npy
ok "darcy, guided" "$fd" posterior --op darcy --grid 8x8 --obs darcy.csv --noise 0.01 \
    --method pigdm -n 2 \
    --steps 10 -o post.npy
ok "poisson" "$fd" posterior --op poisson --boundary dirichlet --grid 7x7 --obs darcy.csv \
    --noise 0.01 -o post.npy
says '^exact: mean of size' out
ok "heat" "$fd" calibrate --op heat --grid 16 --noise 0.1 -n 60 && says '^calibrated' out
ok "flow" "$fd" posterior --op flow:time=0.05,dt=0.002 --boundary periodic --grid 16x16 \
    --obs darcy.csv --noise 0.1 \
    --method hmc:steps=20,burn=5,chains=1 -n 4 -o post.npy
ok "radon, data" "$fd" data radon:angle=60,views=9,detectors=12 -n 1 --grid 12x12 -o d.npy \
    --obs sino.npy
ok "sinogram" "$fd" info sino.npy && says '^.1, 9, 12.' out
ok "radon" "$fd" posterior --op radon:angle=60 --grid 12x12 --obs sino.npy --noise 0.05 -n 4 \
    -o post.npy --png p.png
says '^exact: mean of size' out
ok "radon, calibrated" "$fd" calibrate --op radon:angle=60,views=6,detectors=8 --grid 8x8 \
    --noise 0.1 -n 60
says '^calibrated' out
ok "blur" "$fd" calibrate --op blur:w=0.1 --grid 16 --noise 0.1 -n 60 && says '^calibrated' out
ok "mogi" "$fd" calibrate --op mogi:depth=2 --grid 8x8 --noise 0.1 -n 60 && says '^calibrated' out
ok "phase" "$fd" posterior --op phase --grid 12x12 --obs darcy.csv --noise 0.2 -n 8 \
    --method hmc:steps=200,burn=50 \
    -o post.npy --png p.png
bad 2 'views=3, but sino.npy has 9' posterior --op radon:views=3 --grid 8x8 --obs sino.npy
bad 2 'views: .0.: expected a number from 1 ' calibrate --op radon:views=0 --grid 8x8
bad 2 'angle: .91.: expected a number from 0.001 to 90' posterior --op radon:angle=91 --grid 8x8 \
    --obs sino.npy
bad 2 'radon needs --obs FILE' posterior --op radon --grid 8x8 --coarse sino.npy
ok "two channels" "$fd" data volcano -n 2 --grid 8x8 -o d.npy
bad 1 'has two axes, .views..detectors.; it has 2x2x8x8' posterior --op radon --grid 8x8 --obs d.npy
printf '\000\000\010\002\000\000\000\000\000\000\000\005' >none.idx
bad 1 'neither .npy nor IDX: darcy.csv; with --op radon it is a sinogram .views..detectors.' \
    posterior --op radon --grid 8x8 --obs darcy.csv --noise 0.1
bad 1 'a sinogram of nothing' posterior --op radon --grid 8x8 --obs none.idx --noise 0.1
rm none.idx
bad 2 '^fd: --observe: not with --op radon' calibrate --op radon --grid 8x8 --observe points
bad 2 'depth: .0.: expected a number from 0.001' calibrate --op mogi:depth=0 --grid 8x8
bad 2 'k2 = 19.48683968 is an eigenvalue' posterior --op poisson:k2=19.486839677110588 \
    --boundary dirichlet --grid 7x7 \
    --obs darcy.csv
for m in exact daps; do
    bad 2 "$m is for linear" posterior --op phase --grid 8x8 --obs darcy.csv --noise 0.1 --method $m
done
bad 2 'darcy wants a square grid' posterior --op darcy --grid 8x9 --obs darcy.csv --noise 0.1
bad 2 'darcy wants --boundary neumann' posterior --op darcy --boundary periodic --grid 8x8 \
    --obs darcy.csv --noise 0.1
bad 2 'exact is for linear' posterior --op darcy --grid 8x8 --obs darcy.csv --noise 0.1
bad 1 'too long for this flow' posterior --op flow:time=10,dt=5 --boundary periodic --grid 8x8 \
    --obs darcy.csv \
    --noise 0.1 --method pcn:steps=8
bad 2 '^fd: --blur: not with --op' posterior --op heat --grid 8x8 --blur .1:darcy.csv
bad 2 '--op: ' posterior --op navier --grid 8x8 --obs darcy.csv
# bridges
printf 'x,value\n.25,1\n.75,-1\n' >end.csv
ok ends "$fd" noise --grid 24 --boundary dirichlet --cov rbf:l=0.2 -n 2 -o ends.npy
ok bridge "$fd" bridge --grid 24 --from ends.npy --to ends.npy -n 3 --steps 5 -o paths.npy \
    --png p.png
exists p.png; says 'the upper half of the waves [0-9.]*e-' out
ok "bridge, info" "$fd" info paths.npy && says '^.3, 6, 24.' out
ok "bridge, where Euler explodes" "$fd" bridge --grid 64 --to end.csv --noise 0.1 -o paths.npy
ok "bridge to values" "$fd" bridge --grid 24 --to end.csv --noise 0.05 --steps 5 -o paths.npy
says '^least cost of a control' out
ok rough "$fd" noise --grid 24 --boundary dirichlet --cov white -n 1 -o rough.npy
ok "bridge to a rough end" "$fd" bridge --grid 24 --to rough.npy -n 2 --steps 3 -o paths.npy
says '^that part grows with the grid' out
ok "bridge in 2-D" "$fd" bridge --grid 12x9 --to obs2.csv -n 2 --steps 3 -o paths.npy --png p.png
bad 2 'needs --grid' bridge --to end.csv
bad 2 'needs --to' bridge --grid 24
bad 2 '^fd: --time' bridge --grid 24 --to end.csv --time 0
bad 2 'nu' bridge --grid 24 --to end.csv --operator heat:nu=-1
bad 1 'cannot open' bridge --grid 24 --to none.csv
bad 1 'columns x, y, value' bridge --grid 4x4 --to end.csv
ok "double well" "$fd" bridge --double-well -n 400 -o well.npy --png p.png
says '^  t = 2 +-?0\.00000 +0\.87466' out; says '^  t = 1 +-0\.51889 +0\.70889' out
ok "its paths" "$fd" info well.npy && says '^.400, 129.' out
bad 2 'too long' bridge --double-well --steps 5
bad 2 '^fd: --grid: not with' bridge --double-well --grid 8
ok "certify bridge" "$fd" certify --bridge heat:nu=0.05 --cov matern:nu=0.5,l=0.1 &&
    says '^PASS: one path' out
ok "in 2-D" "$fd" certify --bridge heat --grid 9x8 --cov matern:nu=0.5,l=0.1 --boundary neumann \
    --target matern:nu=4,l=0.3
"$fd" certify --bridge heat --cov pixel-white >out 2>err; [ $? = 1 ]
report $? "bridges of iid noise"
says '^FAIL: the path depends' out
"$fd" certify --bridge heat --cov matern:nu=2.5,l=0.3 --target matern:nu=0.5,l=0.2 >out 2>err
[ $? = 1 ]
report $? "an end without a cost"; says '^FAIL: the cost' out
bad 2 '^fd: --process: not with --bridge' certify --bridge heat --process vp
# from the functions of one file to those of another: b is a with its modes scaled
ok starts "$fd" noise --grid 16 --cov matern:nu=0.5,l=0.1 -n 400 --seed 3 -o a.npy
ok ends "$fd" noise --grid 16 --cov matern:nu=1.5,l=0.3,var=4 -n 400 --seed 3 -o b.npy
pairs="--pairs a.npy:b.npy --net fno:width=16,modes=7"
for m in bridge:told=1 interpolant:g=0.2,told=1; do
    ok "train $m" "$fd" train $pairs --couple paired --between $m --steps 200 -o p.safetensors
    ok "follow $m" "$fd" bridge --model p.safetensors --from a.npy -n 400 --steps 10 -o e.npy \
        --png p.png
    ok "judge $m" "$fd" eval --samples e.npy --data b.npy && says '^sliced_w2 +0\.00' out
done
ok "on a finer grid" "$fd" bridge --model p.safetensors --from a.npy --grid 32 -n 2 -o e.npy
ok "its ends" "$fd" info e.npy && says '^.2, 32.' out
ok "near pairs" "$fd" train $pairs --couple near --between bridge:nu=0.01,c=1 --steps 20 --batch 8 \
    -o n.safetensors
ok "in two parts" "$fd" train $pairs --couple near --between bridge:nu=0.01,c=1 --steps 20 \
    --batch 8 \
    --accumulate 2 -o n2.safetensors
ok "go on" "$fd" train --pairs a.npy:b.npy --resume n.safetensors --steps 25
ok "normalised by pixels" "$fd" train $pairs --normalize pixel --steps 5 -o n.safetensors
ok "and back" "$fd" bridge --model n.safetensors --from a.npy -n 2 -o e.npy
bad 2 'fd bridge --model p.safetensors' sample --model p.safetensors
bad 2 'goes from functions to functions' train --resume p.safetensors --data a.npy --steps 300
bad 2 'needs --from' bridge --model p.safetensors
bad 2 '^fd: --clip: is of' tune --model p.safetensors --reward brightness --method rwr --clip 0.1
bad 2 '^fd: --noise: is of' tune --model p.safetensors --reward brightness --noise 1
bad 2 'is what --model reads' bridge --model p.safetensors --from a.npy -o p.safetensors
bad 2 'is what --from reads' bridge --model p.safetensors --from a.npy -o a.npy
bad 2 'fd bridge --model p.safetensors' tune --model p.safetensors --reward brightness
bad 2 '^fd: --to: not with --model' bridge --model p.safetensors --from a.npy --to b.npy
bad 2 'wants two files' train --pairs a.npy
bad 2 'wants two files' train --pairs a.npy:
bad 2 '^fd: --data: not with --pairs' train --pairs a.npy:b.npy --data a.npy
bad 2 '^fd: --between: has no meaning' train --between bridge --data a.npy
bad 1 'none.npy: No such file' train --pairs none.npy:b.npy
bad 1 'paired wants as many' train --pairs ends.npy:b.npy --couple paired --grid 16
bad 2 '--couple: ' train --pairs a.npy:b.npy --couple best
# networks that are told of observations
smooth="--boundary neumann --cov matern:nu=1.5,l=0.3"
ok functions "$fd" noise --grid 16 $smooth -n 256 -o g.npy
few="$smooth --data g.npy --net fno:width=8,layers=2,modes=6 --steps 20 --batch 8"
ok told "$fd" train $few --condition points:m=4,noise=0.1,move=1 -o told.safetensors
says 'told of 4 observations; mean square of the score' out
says 'floor for Gaussian data of this spectrum 1;' out
ok "told, info" "$fd" info told.safetensors
says 'kit.condition +points:m=4,move=1,noise=0.1,drop=0,sees=posterior' out
says 'kit.base +gauss' out
ok "told, resumed" "$fd" train --resume told.safetensors --data g.npy --steps 24 \
    -o again.safetensors
for b in 3 8; do
    ok "told, posterior" "$fd" posterior --model told.safetensors --obs obs.csv --grid 24 -n 8 \
        --method amortised --steps 10 --batch $b -o told$b.npy
done
same told3.npy told8.npy
ok "told, calibrate" "$fd" calibrate --model told.safetensors --data g.npy --method amortised \
    -n 60 --steps 40
says '^calibrated' out
ok "told, and the exact posterior" "$fd" posterior --model told.safetensors --obs obs.csv -n 64 \
    --method amortised --prior matern:nu=1.5,l=0.3 --steps 40 -o a.npy
awk '/^error of the mean/ { e = $5 + 0; f = 1 } END { exit !(f && e < .35) }' out
report $? "told: $(grep '^error' out)"
ok "told at fixed places" "$fd" train $few --condition points:m=4,noise=0.1,drop=0.3 \
    -o fixed.safetensors
ok "told or not" "$fd" sample --model fixed.safetensors -n 2 --steps 5 -o a.npy
for m in amortised amortised:free=1.5; do
    "$fd" calibrate --model fixed.safetensors --observe points:m=4 --method $m -n 16 --steps 5 \
        >out 2>err
    report $(($? > 1)) "calibrate $m"
    says '^CRPS' out
done
ok alone "$fd" train $few -o alone.safetensors
# rewards: those of Gaussian functions and a linear reward are known: the mean rises by its variance
tune="--model alone.safetensors --reward brightness --threads 1"
ok "untuned" "$fd" tune $tune --rounds 1 --lr 1e-30 -n 2 -o same.safetensors
says '^32 functions a round, 20 steps of ancestral at logsnr times, start noise; ddpo, 4 updates' \
    out
for m in alone same; do
    ok "$m, drawn" "$fd" sample --model $m.safetensors -n 3 --steps 9 --grid 24 -o $m.npy
done
same alone.npy same.npy                                # no step, no change: on another grid, too
for m in ddpo reinforce rwr; do
    ok "tune $m" "$fd" tune $tune --method $m --rounds 60 -n 1000 --lr 2e-3 --csv tune.csv \
        -o tuned.safetensors
    awk '/^reward of 1000/ { up = $12 - $8; f = 1 } END { exit !(f && up > .15 && up < .9) }' out
    report $? "tune $m: $(grep '^reward of' out)"
    awk '/^of the law/ { up = $14; f = 1 } END { exit !(f && up > .5 && up < 1.1) }' out
    report $? "tune $m: $(grep '^of the law' out)"
    awk -F, 'NR > 30 && ($4 < .02 || $4 > 2 || $5 < .05 || $5 > 3) { bad = 1 }
        END { exit bad || NR != 61 }' tune.csv
    report $? "tune $m: $(tail -1 tune.csv)"
done
ok "tuned, info" "$fd" info tuned.safetensors && says '^tuned.from ' out
ok "tuned, certified" "$fd" certify --model tuned.safetensors -n 16 --steps 10 --tol 1
ok "tuned again" "$fd" tune --model tuned.safetensors --reward symmetry --rounds 2 -n 4 \
    -o more.safetensors --png tune.png
exists tune.png
for t in 1 3; do
    ok "tune, $t threads" "$fd" tune --model alone.safetensors --reward point:x=.3,value=-1,sd=.5 \
        --rounds 3 -n 4 --threads $t -o tune$t.safetensors
done
same tune1.safetensors tune3.safetensors
for more in "--precond none --predict noise" "--precond none --predict v --process flow" \
    "--process ddpm"; do
    ok "train $more" "$fd" train $few $more -o kind.safetensors
    ok "tune $more" "$fd" tune --model kind.safetensors --reward obs.csv --noise 0.5 --rounds 2 \
        -n 4 -o kind2.safetensors
    ok "sample, $more" "$fd" sample --model kind2.safetensors -n 2 -o a.npy
done
ok "train driftless" "$fd" train $few --process driftless -o kind.safetensors
ok "tune driftless" "$fd" tune --model kind.safetensors --reward brightness --rounds 1 -n 2 \
    -o kind2.safetensors
says '^0.[0-9]+ of the variance is in the start, which stays' out
ok "train heat" "$fd" train $few --process heat -o heat.safetensors
bad 2 'tune: needs --model' tune --reward brightness
bad 2 'tune: needs --reward' tune --model alone.safetensors
tune="tune --model alone.safetensors"
bad 2 "^fd: --reward: 'gold': expected symmetry, brightness, point" $tune --reward gold
bad 2 '^fd: --reward: axis 1: the model has 1' $tune --reward symmetry:axis=1
bad 2 '^fd: --reward: x = 2 is outside the domain, 0 to 1' $tune --reward point:x=2
bad 2 '^fd: --reward: obs.csv: values need --noise above 0' $tune --reward obs.csv
bad 1 '^fd: --reward: of function 0 before it is not finite: -inf' $tune --reward point:sd=1e-190
bad 1 'none.csv: cannot open' $tune --reward none.csv --noise 1
bad 1 'give more by --memory' $tune --reward brightness --batch 100000
bad 2 '^fd: --scheme: pf-heun: one of one evaluation' $tune --reward brightness --scheme pf-heun
bad 2 '^fd: --scheme: ddim without --eta has no noise' $tune --reward brightness --scheme ddim \
    --eta 0
bad 2 '^fd: --epochs: reinforce takes one' $tune --reward brightness --method reinforce --epochs 2
bad 2 '^fd: --beta: rwr needs one above 0' $tune --reward brightness --method rwr --beta 0
bad 2 'is told of observations: those are its reward' tune --model told.safetensors \
    --reward brightness
bad 2 'heat has rates of its own in each mode' tune --model heat.safetensors --reward brightness
bad 2 'comes from fd tune: fd tune goes on with it' train --resume tuned.safetensors --data g.npy
ok "on a model" "$fd" train --data g.npy --net fno:width=8,layers=2,modes=6 --steps 20 --batch 8 \
    --base alone.safetensors --condition points:m=4,noise=0.1,move=1,sees=slope -o sgt.safetensors
says 'used as alone.safetensors has it' out
ok "on a model, posterior" "$fd" posterior --model sgt.safetensors --obs obs.csv \
    --method amortised \
    -n 4 --steps 5 --grid 24 -o a.npy
ok mask "$fd" train $few --condition mask:p=0.3,move=1 --predict v -o mask.safetensors
ok "mask, info" "$fd" info mask.safetensors && says 'kit.base +none' out
bad 2 'masks of pixels' posterior --model mask.safetensors --obs obs.csv --method amortised
ok functions "$fd" noise --grid 6x5 --channels 2 -n 32 -o g2.npy
ok coarse "$fd" train --data g2.npy --channels first --condition coarse:n=3 --base none --steps 3 \
    --net fno:width=4,layers=1,modes=2 --batch 4 --accumulate 2 -o coarse.safetensors
bad 2 'not trained for' posterior --model fixed.safetensors --obs obs.csv --method amortised
head -3 obs.csv >obs3.csv
bad 2 '2 observations, but the network was trained with 4' posterior --model fixed.safetensors \
    --obs obs3.csv --method amortised
bad 2 '^fd: --noise: 0.2: the network was trained with noise=0.1' posterior \
    --model told.safetensors \
    --obs obs.csv --noise 0.2 --method amortised
bad 2 'given observations alone' sample --model told.safetensors
bad 2 'given observations alone' posterior --model told.safetensors --obs obs.csv --method pigdm
bad 2 'needs --data' calibrate --model told.safetensors --method amortised
bad 2 'fd train --condition' posterior --model alone.safetensors --obs obs.csv --method amortised
bad 2 'amortised needs --model' posterior --grid 8 --obs obs.csv --method amortised
bad 2 'no meaning without --condition' train --data g.npy --base none
bad 2 'comes from the model that --base names' train $few --condition points \
    --base alone.safetensors
bad 2 'trained with --condition itself' train --data g.npy --condition points \
    --base told.safetensors
bad 2 'there is none' train $few --condition points --predict v --base gauss
bad 2 'not with --condition' train $few --condition points --by-mode m.csv
bad 2 'not with --condition' train $few --condition points --norm likelihood
bad 2 "expected points, coarse, blur, mask" train $few --condition foo
bad 1 'cannot open' train --data g.npy --condition points --base none.safetensors
bad 2 'needs --obs' posterior --grid 8
# a mask and values, a coarse grid, a blur; numpy's format by hand: name, shape, type, bytes
npy() { { printf '\223NUMPY\001\000\166\000'
    printf "%-117s\n" "{'descr': '$3', 'fortran_order': False, 'shape': ($2), }"; printf "$4"
    } >"$1"; }
npy mask.npy 8, '|u1' '\0\1\0\1\0\0\1\0'; npy vals.npy 8, '|i1' '\5\1\5\0\5\5\377\5'
npy coarse.npy 4, '|i1' '\1\0\377\0'
npy mask2.npy 4,3 '|u1' '\1\0\0\0\1\0\0\0\1\0\0\0'; npy none.npy 8, '|u1' '\0\0\0\0\0\0\0\0'
npy inf.npy 8, '<f2' '\0\74\0\0\0\74\0\174\0\0\0\0\0\0\0\0'            # the fourth is infinite
printf 'x,value\n.1875,1\n.4375,0\n.8125,-1\n' >same.csv
ok "a mask" "$fd" posterior --grid 8 --obs mask.npy:vals.npy --noise 0.1 -n 64 -o a.npy \
    --png p.png && exists p.png
ok "the same places" "$fd" posterior --grid 8 --obs same.csv --noise 0.1 -n 64 -o b.npy
mv out same.out
ok "a mask" "$fd" posterior --grid 8 --obs mask.npy:vals.npy --noise 0.1 -n 64 -o a.npy
grep -E '^exact' out >x; grep -E '^exact' same.out >y; same x y
ok "a mask, told" "$fd" posterior --model mask.safetensors --grid 8 --obs mask.npy:vals.npy \
    --method amortised -n 4 --steps 5 -o b.npy
ok "a coarse grid, told" "$fd" train $few --condition coarse:n=4 -o coarse1.safetensors
ok "a coarse grid, told" "$fd" posterior --model coarse1.safetensors --coarse coarse.npy \
    --method amortised -n 4 --steps 5 -o b.npy
bad 2 '3 observations, but the network' posterior --model coarse1.safetensors \
    --obs mask.npy:vals.npy \
    --grid 8 --method amortised
ok "a coarse grid" "$fd" posterior --grid 16 --coarse coarse.npy --noise 0.1 -n 64 --method pigdm \
    --png p.png
says '^4 observations' out
awk '/^error of the mean/ { e = $5 + 0; f = 1 } END { exit !(f && e < .3) }' out
report $? "coarse: $(grep '^error' out)"
ok noise "$fd" noise --grid 12x9 -n 1 --boundary neumann --cov rbf:l=0.3 -o v.npy
ok "a blur" "$fd" posterior --grid 12x9 --blur 0.1:v.npy --noise 0.1 -n 64 --method pigdm \
    --png p.png && exists p.png
awk '/^error of the mean/ { e = $5 + 0; f = 1 } END { exit !(f && e < .1) }' out
report $? "blur: $(grep '^error' out)"
# the state of chains: in two parts as in one
for m in pcn mala slice latent; do
    rm -f whole.st parts.st
    ok "$m whole" "$fd" posterior --grid 16 --obs obs.csv --noise 0.1 \
        --method $m:chains=2,burn=30,steps=40 --state whole.st -o a.npy
    for i in 1 2; do
        ok "$m part $i" "$fd" posterior --grid 16 --obs obs.csv --noise 0.1 \
            --method $m:chains=2,burn=30,steps=20 --state parts.st -o b.npy
    done
    same whole.st parts.st
done
bad 1 'whole.st: is of latent, 2 chains, 16, seed 1; this is pcn' posterior --grid 16 \
    --obs obs.csv --noise 0.1 --method pcn:chains=2,steps=20 --state whole.st
bad 1 'another prior, or of other obs' posterior --grid 16 --obs obs.csv --noise 0.2 \
    --method latent:chains=2,steps=20 --state whole.st
bad 1 'no .safetensors file' posterior --grid 16 --obs obs.csv --noise 0.1 --method pcn \
    --state a.npy
bad 2 'state: pigdm is no chain' posterior --grid 16 --obs obs.csv --noise 0.1 --method pigdm \
    --state new.st
bad 2 'one of them only' posterior --grid 8 --obs obs.csv --coarse coarse.npy
bad 1 'mask.npy: 8 values, but the grid wants 9' posterior --grid 9 --obs mask.npy:vals.npy
bad 1 'vals.npy: 8 values, but the grid wants 4x3' posterior --grid 4x3 --obs mask2.npy:vals.npy
bad 1 'nothing is observed' posterior --grid 8 --obs none.npy:vals.npy
bad 1 'inf.npy: value 3, counted from 0, is not finite' posterior --grid 8 --obs mask.npy:inf.npy
bad 1 'cannot open' posterior --grid 8 --obs mask.npy:absent.npy
bad 1 'coarse.npy: 4 values on an axis on which the grid has 3' posterior --grid 3 \
    --coarse coarse.npy
bad 1 'values of 2 axes are wanted, it has 4' posterior --grid 8x8 --coarse coarse.npy
bad 1 'inf.npy: value 3' posterior --grid 8 --coarse inf.npy
bad 2 "'0.1': expected WIDTH:FILE" posterior --grid 8 --blur 0.1
bad 2 "'wide:v.npy': expected WIDTH:FILE" posterior --grid 8 --blur wide:v.npy
bad 1 'v.npy: 1x12x9 values, but the grid wants 12x8' posterior --grid 12x8 --blur 0.1:v.npy
bad 1 'inf.npy: value 3' posterior --grid 8 --blur 0.1:inf.npy
printf 'x,value\n' >many.csv; for i in 1 2 3 4 5 6 7 8 9; do echo ".$i,1" >>many.csv; done
bad 1 '9 observations without noise, but the grid carries 8 modes' posterior --grid 8 --obs many.csv
printf 'x,value\n.5,inf\n' >bad.csv
bad 1 "line 2: 'value' is not a number" posterior --grid 8 --obs bad.csv --noise 0.1
printf 'x,value,sd\n.5,1,0\n' >bad.csv
bad 1 'line 2: sd must be above 0' posterior --grid 8 --obs bad.csv
for m in dps esmda particles langevin mala hmc slice walk latent; do
    bad 2 "$m needs --noise above 0" posterior --grid 8 --obs obs.csv --method $m
done
bad 2 'needs --obs, --coarse or --blur' posterior --grid 8
bad 2 'needs --grid' posterior --obs obs.csv
bad 1 'cannot open' posterior --grid 8 --obs none.csv
printf 'x,value\n.5,1\n1.5,1\n' >bad.csv
bad 1 'line 3: x = 1.5 is outside' posterior --grid 8 --obs bad.csv --noise 0.1
printf 'x,value\n.5,1\n.6,nan\n' >bad.csv
bad 1 "line 3: 'value' is not a number" posterior --grid 8 --obs bad.csv --noise 0.1
printf 'x,worth\n.5,1\n' >bad.csv
bad 1 "column 'worth'" posterior --grid 8 --obs bad.csv --noise 0.1
printf 'value\n1\n' >bad.csv; bad 1 'needs the columns x, value' posterior --grid 8 --obs bad.csv \
    --noise 0.1
printf 'x,value\n' >bad.csv; bad 1 'no observations' posterior --grid 8 --obs bad.csv --noise 0.1
printf 'x,value\n.5,1\n.5,2\n' >bad.csv; bad 1 'without noise' posterior --grid 8 --obs bad.csv
bad 2 'needs --noise above 0' posterior --grid 8 --obs obs.csv --method pcn
for m in project denoised flat split particles daps eci; do
    bad 2 "$m is for processes of one m and v for all modes" posterior --grid 8 --obs obs.csv \
        --noise 0.1 --process heat --method $m
done
for m in guide pigdm dps conditional langevin:h=0.001; do
    ok "heat, $m" "$fd" posterior --grid 24 --obs obs.csv --noise 0.1 --process heat:kappa=0.001 \
        --method $m -n 64 --steps 80 -o post.npy
    awk '/^error of the mean/ { e = $5 + 0; f = 1 } END { exit !(f && e < .35) }' out
    report $? "heat, $m: $(grep '^error' out)"
done
bad 2 'fundps is for processes of one m and v' posterior --grid 8 --obs obs.csv --process heat \
    --method fundps
bad 2 'daps needs --noise above 0' posterior --grid 8 --obs obs.csv --method daps
bad 2 "daps:h=3': h: '3': expected a number from" posterior --grid 8 --obs obs.csv --noise 0.01 \
    --method daps:h=3
bad 2 'chains: .1.5.: expected a whole number' posterior --grid 8 --obs obs.csv --noise 0.1 \
    --method pcn:chains=1.5
bad 2 'one-stage' posterior --grid 8 --obs obs.csv --noise 0.1 --method project --scheme pf-heun
bad 2 "'foo': expected exact" posterior --grid 8 --obs obs.csv --method foo
bad 1 'too long' posterior --grid 8 --obs obs.csv --noise 0.01 --method langevin:h=1

# ---- wrong command lines
bad 2 "'frain': no such command; expected train" frain
bad 2 '--stesp: unknown flag; nearest are --steps' train --stesp 5
bad 2 "--grid: '64xx': expected N, NxM or NxMxK" noise --grid 64xx
for g in 0 -3 x 64x 4x4x4x4 1.5 99999999999 8x '' 5000x5000x5000; do
    bad 2 '^fd: --grid: ' noise --grid "$g"
done
bad 2 'more than 2.24 points on an axis' noise --grid 16777217
bad 2 'needs --grid' noise
bad 2 '--n: .*expected a whole number' noise --grid 8 -n 0
bad 2 '--n: needs a value' noise --grid 8 -n
bad 2 '--seed: ' noise --grid 8 --seed -1
bad 2 "--cov: 'foo': expected white, band, rbf, matern" noise --grid 8 --cov foo
bad 2 "matern has no key 'n'; it has nu, l, var" noise --grid 8 --cov matern:n=1
bad 2 "nu: 'x': expected a number" noise --grid 8 --cov matern:nu=x
bad 2 "nu: 'nan': expected a number" noise --grid 8 --cov matern:nu=nan
bad 2 'expected nu=value' noise --grid 8 --cov matern:nu
bad 2 'time is one of film' train --data fields --net fno:time=9
bad 2 '--boundary: .*expected periodic' noise --grid 8 --boundary open
bad 2 'expected a flag' noise 8
bad 2 '--raw: takes no value' sample --raw=1
bad 2 '--memory: ' noise --grid 8 --memory lots
bad 2 'needs --data' train
bad 2 'smax must be above smin' train --data fields --grid 8 --process ve:smin=50,smax=1
bad 2 'b0 \+ b1 must be above 0' train --data fields --grid 8 --process vp:b0=0,b1=0
bad 2 'smin must be below 1' train --data fields --grid 8 --process flow:smin=1
bad 2 'log needs times above 0' train --data fields --grid 8 --process ve --time-law log
bad 2 'expected a whole number' train --data fields --grid 8 --net fno:width=2.5
bad 2 'no meaning with --precond gauss' train --data fields --grid 8 --weight likelihood
bad 2 'this noise has no variance' train --data fields --grid 8 --cov white:s=0
bad 2 '--cov: .*not finite' noise --grid 8 --cov power:tau=1e-100,alpha=100
bad 2 'needs --model' sample
bad 2 'needs --samples' eval
bad 2 'needs --data' noise --grid 8 --cov empirical
bad 2 'given functions; here are none' data field --grid 8 --cov empirical
bad 2 'given functions; here are none' posterior --prior empirical --grid 8 --obs x.csv
bad 2 "--out: 'x.csv': what is written is .npy: name it so; .*savetxt" noise --grid 8 -o x.csv
bad 2 "--out: 'x.csv': what is written is .npy" data field --grid 8 -o x.csv
bad 2 "--obs: 'y.npz': what is written is .npy" data heat --grid 8 -o x.npy --obs y.npz
bad 2 "--png: 'x.jpg': what is written is .png: name it so$" noise --grid 8 --png x.jpg
bad 2 "--out: 'x.npy': what is written is .csv" certify -o x.npy
bad 2 "--out: 'x.csv': what is written is .safetensors or .npz" convert x.pt -o x.csv
bad 2 'needs a file' info
bad 2 'needs a file' info ''
bad 2 'needs a file' convert ''
bad 2 'no command and no topic' help cow
bad 2 'no meaning' train --data fields --predict v --precond gauss
bad 2 'below the last time' train --data fields --process vp:tmin=3
bad 2 '--cov: .*DIRICHLET' noise --grid 8 --cov bridge
bad 2 '--target: .*DIRICHLET' certify --target bridge
bad 2 '--process: .*betaT must lie between 0 and 1' certify --process ddpm:b1=1
bad 2 'tmin=0.001 is not below the last time, 1e-09' certify --process ou:tmax=1e-9
bad 2 '--model: its FILE is empty' sample --model ''
bad 2 '--out: its FILE is empty' noise --grid 8 -o ''
bad 2 '--cmd: its COMMAND is empty' conform . --cmd ''
bad 2 '--group: its NAME is empty' vectors --group '' -o v
bad 2 "--png: 'x': --out writes there" noise --grid 8 -o x --png x
bad 1 '--out: .xxxx.*name too long' noise --grid 8 -o "$(printf '%0250d' 0 | tr 0 x)"
bad 1 '--memory' noise --grid 64x64 -n 1000 --memory 1M

# ---- files that cannot be read
bad 1 'missing.npy' info missing.npy
bad 1 'missing.npy' train --data missing.npy
bad 1 'missing.safetensors' sample --model missing.safetensors
bad 1 '^fd: ' info .
head -c 2000 noise.npy >cut.npy
bad 1 'cut.npy' info cut.npy
bad 1 'cut.npy' train --data cut.npy
for n in 0 5 9 40 127; do head -c $n noise.npy >cut.npy; bad 1 'cut.npy' info cut.npy; done
bad 1 'tool.sh' info "$src/tool.sh"
printf 'xx' >gz && gzip -c gz >x.idx.gz &&
    bad 1 'x.idx.gz: it has no line of numbers' train --data x.idx.gz
head -c 20 x.idx.gz >cut.gz && bad 1 'cut.gz: damaged, or of several parts: gunzip it first' info \
    cut.gz
printf '\211HDF\r\n\032\n0000' >f.h5 &&
    bad 1 'f.h5: HDF5, which is not read: python3 -c "import numpy, h5py.*f.h5.*NAME' train \
    --data f.h5
cp f.h5 f.nc && bad 1 'f.nc: netCDF 4, which is not read: python3 -c "import numpy, netCDF4' info \
    f.nc
printf 'CDF\001000' >f.nc &&
    bad 1 'f.nc: netCDF, which is not read: python3 -c "import numpy, scipy.io' info f.nc
printf 'MATLAB 7.3 MAT-file %0492d' 0 >f.mat && cat f.h5 >>f.mat &&
    bad 1 'f.mat: MATLAB 7.3, which is not read: in MATLAB: save new.mat NAME -v7; or python3' \
    info f.mat
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n' >f.npy &&
    bad 1 'f.npy: a pointer of git LFS, not the file.*git lfs pull' train --data f.npy
printf '<!DOCTYPE html><html>' >f.idx &&
    bad 1 'f.idx: a web page, which is not read' train --data f.idx
printf '{"weight_map": {}}' >f.safetensors.index.json &&
    bad 1 'an index of weights in several files' convert f.safetensors.index.json -o x.safetensors
printf 'PAR100' >f.parquet && bad 1 'f.parquet: Parquet.*import numpy, pandas' info f.parquet
printf 'II*\00000' >f.tif && bad 1 'f.tif: TIFF.*import numpy, tifffile' info f.tif
mkdir -p f.zarr && printf '{}' >f.zarr/.zarray &&
    bad 1 'f.zarr: zarr, which is not read: python3 -c "import numpy, zarr' train --data f.zarr
printf '1,2\n3\n' >f.csv && bad 1 'f.csv: line 2, number 2: a number is missing' train --data f.csv
bad 1 'refused: its pickle calls posix.system' info "$src/data/read/evil.pt"
bad 1 "PyTorch's format before 1.6, which is not read: python3" convert "$src/data/read/old.pt" \
    -o x.safetensors
bad 1 'stored.npz: holds several arrays: name one, as in .*stored.npz:f4; it has words, f4' train \
    --data "$src/data/read/stored.npz"

# ---- files that people have: the same array in each, every member listed, those too that cannot be
# read
have=$src/data/read
for f in x.npy x.npy.gz one.npz stored.npz:f4 deflated.npz:fortran deflated.npz:f2 plain.mat:x \
    packed.mat:single x.pt:model.turned \
    x.pt:model.bf16 bare.pt x.safetensors:F16; do
    ok "info $f" "$fd" info "$have/$f" &&
        says '\(2, 3, 4\)  min -2  max 6.625  mean 2.3125  sd 2.59582  (b?float|complex)[0-9]+$' out
done
ok 'info, strings' "$fd" info "$have/stored.npz" &&
    says '^words +\(2\)  strings: its type is not one of numbers$' out &&
    says '^f2 +\(2, 3, 4\)  min' out
ok 'info, .mat' "$fd" info "$have/packed.mat" &&
    says '^cell +\(1, 2\)  cell: it is not an array of numbers$' out && says '^truth .*  bool$' out
ok 'info, .pt' "$fd" info "$have/x.pt:model" &&
    says '^model.count +\(\)  min 7  max 7 .* int64$' out
ok 'info, metadata' "$fd" info "$have/x.safetensors" && says '^key +value.n$' out &&
    says '^F8 +\(2, 3, 4\)  F8_E4M3: ' out
ok 'info, folder' "$fd" info "$have/wide" && says '^\(2, 3, 4\)  min 0  max 59110 .* uint16$' out
ok 'convert .npz' "$fd" convert "$src/data/fno1.npz" -o want.safetensors
ok 'convert .pt' "$fd" convert "$have/fno1.pt:model" -o from.safetensors &&
    same want.safetensors from.safetensors
ok 'convert to .npz' "$fd" convert "$have/stored.npz" -o kept.npz &&
    says '^left out: words \(2\)  strings: its type is not one of numbers$' out
"$fd" info kept.npz >out; says '^f2 +\(2, 3, 4\)  min' out; ! grep -q words out
report $? "words in an .npz of numbers"
ok 'convert whole numbers' "$fd" convert "$have/x.pt" -o kept.npz &&
    says '^left out: model.count \(\)  int64: whole numbers$' out
ok 'convert, a prefix' "$fd" convert "$have/fno1.pt" -o from.safetensors &&
    same want.safetensors from.safetensors
ok 'convert, compressed' "$fd" convert "$have/fno1.npz" -o from.safetensors &&
    same want.safetensors from.safetensors
bad 1 "fno1.pt: it has no numbers below 'state'" convert "$have/fno1.pt:state" -o x.safetensors
printf '\000\000\015\002\000\000\000\003\000\000\000\002' >nan.idx
printf '\077\200\000\000\100\000\000\000\077\200\000\000' >>nan.idx
printf '\177\300\000\000\077\200\000\000\100\100\000\000' >>nan.idx
bad 1 'nan.idx: function 1 holds nan' train --data nan.idx
ok info "$fd" info nan.idx && says '1 NaN' out
printf '\000\000\010\001\000\000\000\003abc' >flat.idx
bad 1 'flat.idx: shape .3.: expected' train --data flat.idx

# ---- files that cannot be written
bad 1 'nowhere/x.npy.: No such file' noise --grid 8 -o nowhere/x.npy
bad 1 'is a folder' noise --grid 8 -o .
if [ -c /dev/full ]; then
    bad 1 '/dev/full.: is not a file' noise --grid 8 -o /dev/full
    [ -c /dev/full ]; report $? "/dev/full was replaced"
    "$fd" help cov >/dev/full 2>err; [ $? = 1 ]; report $? "full standard output"
    says '^fd: standard output: ' err
fi
echo old >big.npy
(ulimit -f 8; "$fd" noise --grid 64x64 -n 16 -o big.npy) >out 2>err
[ $? = 1 ]; report $? "ulimit -f: status"
[ "$(wc -l <err)" = 1 ]; report $? "ulimit -f: $(cat err)"; says 'big.npy' err
[ "$(cat big.npy)" = old ]; report $? "a write that failed changed the file"
[ "$(ls | grep -c big)" = 1 ]; report $? "a write that failed left $(ls | grep big)"
mkdir tiny && if mount -t tmpfs -o size=64k none tiny 2>/dev/null; then
    "$fd" noise --grid 64x64 -n 16 -o tiny/x.npy >out 2>err; [ $? = 1 ]
    report $? "full disk: status"
    [ "$(wc -l <err)" = 1 ]; report $? "full disk: $(cat err)"
    [ -z "$(ls tiny)" ]; report $? "full disk: $(ls tiny) is left"
    umount tiny
fi

# ---- train, sample, info, eval
small="--grid 16x16 --net fno:width=8,layers=2,modes=6 --batch 8"
ok train "$fd" train --data fields:n=64 $small --steps 6 --out m.safetensors --log loss.csv
says '^wrote m.safetensors$' out; says '^wrote loss.csv$' out; says 'step 6, loss' out
says '^step,loss,gradient,rate,seconds$' loss.csv
[ "$(wc -l <loss.csv)" = 7 ]; report $? "loss.csv has not 7 lines"
ok info "$fd" info m.safetensors && says '^kit.cov +band:var=1$' out && says '^kit.grid +16x16$' out
ok sample "$fd" sample --model m.safetensors --steps 5 -n 5 -o s.npy --png s.png --path p.png
says '^wrote s.npy$' out; exists s.npy s.png p.png
"$fd" info s.npy >out; says '^\(5, 16, 16\)  min' out
ok batch "$fd" sample --model m.safetensors --steps 5 -n 5 --batch 2 --threads 1 -o s2.npy &&
    same s.npy s2.npy
w=$(((16 * 16 * 5 * 4) / 1280))
ok first "$fd" sample --model m.safetensors --steps 5 -n 3 --first 2 -o s3.npy
e=$((($(wc -c <s.npy) - $(wc -c <s3.npy)) / 2 * 3))
tail -c $e s.npy >x && tail -c $e s3.npy >y && same x y
for g in 24x24 15x17 32x32 4x4; do            # 4x4: fewer points than modes
    ok "on $g" "$fd" sample --model m.safetensors --grid $g --steps 3 -n 2 -o g.npy
    "$fd" info g.npy >out; says "^\(2, ${g%x*}, ${g#*x}\)  min" out
done
ok 'more modes than the grid has' "$fd" train --data fields:n=32 --grid 8x8 --net fno:modes=12 \
    --batch 4 --steps 2 -o few.safetensors
bad 2 '--net: fd_net_new: grid must be a multiple of the patch' train --data fields:n=32 \
    --grid 8x8 --net vit:patch=3 \
    --batch 4
bad 2 '1 axes, but the model has 2' sample --model m.safetensors --grid 16
k=0; "$fd" help scheme | sed -n 's/^  \([a-z][^ ]*\).*/\1/p' >schemes
while read -r c; do                      # a scheme is right for the process, or refuses in one line
    "$fd" sample --model m.safetensors --scheme "$c" --eta 0.5 --steps 24 -n 1 -o g.npy >out 2>err
    s=$?
    sed -i '/^sample /d' err
    [ $s = 0 ] && k=$((k + 1)) && [ ! -s err ] || { [ $s = 1 -o $s = 2 ] &&
        [ "$(wc -l <err)" = 1 ]; }
    report $? "scheme $c: status $s: $(head -n 2 err)"
done <schemes
[ $k -ge 12 ]; report $? "only $k schemes work on vp"
for t in uniform geometric rho:rho=5 logsnr; do
    ok "$t" "$fd" sample --model m.safetensors --times $t --steps 4 -n 2 --denoise 0 -o g.npy
done
ok eval "$fd" eval --samples s.npy --data fields:n=64 --grid 16x16 -n 5 --pcs 3 -o e.csv
says '^wrote e.csv$' out; says '^energy_distance ' out; says '^metric,samples,' e.csv
[ "$(wc -l <e.csv)" = 7 ]; report $? "e.csv has not 7 lines"
ok 'eval, other grid' "$fd" eval --samples g.npy --data noise.npy -n 2
bad 1 'fine.npy: a grid of 1 axes' eval --samples fine.npy --data noise.npy

# the error by mode comes down to its floor where the data are Gaussian
ok by-mode "$fd" train --data fields:n=512,k=1,var=1 --grid 32 --steps 150 \
    --net fno:width=16,layers=2 -o p.safetensors --by-mode e.csv --png e.png
says '^wrote e.csv$' out; exists e.png; says '^t,wave,error,floor$' e.csv
awk -F, 'NR > 1 { e += $3; f += $4; if ($1 > 0.4 && $1 < 0.6 && $2 == 1) near = $3 / $4 }
     END { exit !(NR > 50 && e / f > 0.8 && e / f < 1.3 && near > 0.7 && near < 1.4) }' e.csv
report $? "errors far from their floor: $(grep linear out)"

for p in vp vp-cosine subvp ve:smax=9 ou driftless flow ddpm:T=20 flow-vp flow-vp:s=0 ladder:T=20 \
    fdp heat heat-cosine \
    heat:unit=pixel,kappa=1 blur; do
    ok "train $p" "$fd" train --data fields:n=32 $small --steps 2 --process $p -o p.safetensors
    ok "sample $p" "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy
done
for s in "--start unit" "--start matched" "--corrector scaled:c=0.2,inner=2" \
    "--corrector snr:at=begin" \
    "--corrector snr:band=2" "--corrector snr-grid" "--scheme annealed --corrector scaled:c=0.3" \
    "--churn 0.5"; do
    ok "sample $s" "$fd" sample --model m.safetensors $s --steps 4 -n 2 -o g2.npy &&
        ! cmp -s g.npy g2.npy
    report $? "sample $s: the same"; mv g2.npy g.npy
done
bad 2 "expected noise, unit, matched" sample --model m.safetensors --start hot
bad 2 "scaled has no key 'x'; it has c, inner, at" sample --model m.safetensors \
    --corrector scaled:x=1
bad 2 'annealed: needs a --corrector' sample --model m.safetensors --scheme annealed
for p in x0 noise score v velocity score-half score-full; do
    ok "train $p" "$fd" train --data fields:n=32 $small --steps 2 --predict $p -o p.safetensors
    ok "sample $p" "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy
done
for l in uniform log stratified lognormal:mean=-1,sd=1; do
    ok "train $l" "$fd" train --data fields:n=32 $small --steps 2 --time-law $l --precond none \
        --weight v --predict v -o p.safetensors
done
# the norm of the loss: loss and gradient of the first steps, beside those of another way to the
# same
train2() { "$fd" train --data fields:n=32 $small --steps 2 --clip 0 --cov white:s=$1 \
    --precond none --predict noise $2 --log l.csv -o p.safetensors >out 2>err || return 1
    awk -F, 'NR > 1 { printf "%.6g %.6g ", $2, $3 }' l.csv; }
# ratio C LIST LIST: the second list is C times the first, to 1e-3
ratio() { echo "$1 $2 $3" | awk '{ n = (NF - 1) / 2; for (i = 2; i <= n + 1; i++) {
    e = $(i + n) - $1 * $i; if (!(e * e < 1e-6 * $(i + n) ^ 2)) bad = 1 } exit bad || n < 1 }'; }
h=$(train2 1 "--norm h"); [ -n "$h" ]; report $? "--norm h"
for n in sobolev:s=0 cm; do
    g=$(train2 1 "--norm $n"); ratio 1 "$h" "$g"
    report $? "--norm $n is not h with lam = 1: $g, $h"
done
ratio 4 "$(train2 0.5 "--norm h")" "$(train2 0.5 "--norm cm")"; report $? "--norm cm is not 1/lam"
ratio 1 "$(train2 1 "--process vp --weight likelihood")" \
    "$(train2 1 "--process vp --norm likelihood")"
report $? "--norm likelihood is not --weight likelihood with lam = 1"
[ "$(train2 0.5 "--norm sobolev:s=1")" != "$(train2 0.5 "--norm h")" ]
report $? "--norm sobolev does nothing"
for n in "h --time-law least --precond none" "likelihood --time-law least" "cm --weight noise" \
    "stationary --process fdp" \
    "likelihood --process heat-cosine" "step --process ddpm:T=20,betas=cosine --time-law levels" \
    "step --process ladder:T=20 --time-law least" "h --process ladder:T=20 --time-law log" \
    "h --process ddpm:T=20 --time-law log"; do
    ok "train --norm $n" "$fd" train --data fields:n=32 $small --steps 2 --predict v --norm $n \
        -o p.safetensors
done
ok least "$fd" train --data fields:n=32 $small --steps 2 --process driftless --norm likelihood \
    --time-law least -o p.safetensors
says '^time law: the mean square of the loss of a pair is 1/[1-9]' out
for b in linear quadratic sigmoid cosine; do
    ok "betas $b" "$fd" train --data fields:n=32 $small --steps 2 --process ddpm:T=20,betas=$b \
        --time-law levels -o p.safetensors
    ok "betas $b" "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy
done
bad 2 'levels is for --process ddpm and ladder' train --data fields --grid 8 --time-law levels
bad 2 'step is for --process ddpm and ladder' train --data fields --grid 8 --norm step
bad 2 'not with --predict score-half: --norm' train --data fields --grid 8 --predict score-half \
    --weight noise
bad 2 '--norm likelihood has its own' train --data fields --grid 8 --norm likelihood \
    --precond none --weight v
bad 2 'least goes by --norm alone' train --data fields --grid 8 --time-law least
for n in style=original time=channel time=none coords=none coords=closed,residual=1 \
    act=silu,lift=-1,proj=16; do
    ok "train $n" "$fd" train --data fields:n=32 --grid 16x16 --batch 4 \
        --net fno:width=8,layers=2,modes=4,$n --steps 2 -o p.safetensors
    ok "sample $n" "$fd" sample --model p.safetensors --grid 20x20 --steps 3 -n 2 -o g.npy
done
for b in periodic neumann dirichlet mixed; do
    ok "a stencil, $b" "$fd" train --data fields:n=32 --grid 16x16 --boundary $b --batch 4 \
        --net fno:width=8,layers=2,modes=4,stencil=3 --steps 2 -o p.safetensors
    for g in 16x16 32x32 21x40; do
        ok "a stencil on $g" "$fd" sample --model p.safetensors -n 2 --steps 2 --grid $g -o p.npy
    done
done
ok info "$fd" info p.safetensors && says '^net.layer0.stencil +\(3, 3, 8\)' out &&
    says '^arch.stencil +3$' out
for n in vit vit:time=channel,coords=open uvit:layers=3 uvit:layers=3,pos=learned,act=silu \
    vit-field:latent=8 uvit-field:layers=1,field=gabor,mod=shift,latent=0,pool=2 \
        fno-field:mod=weights,pixels=1,latent=8,modes=6 siren \
    siren:mod=weights,rates=learned,sees=coords,rate=0.001 \
        gabor:mod=shift,inner=2,order=first,latent=8 siren:inner=0 \
    uno:width=4,levels=2 uno:width=4,levels=2,rank=0.2 unet:width=4,layers=1,levels=2,clock=random \
    fno-separable:width=8,layers=2 fno-separable:width=6,groups=3,layers=1,time=channel,modes=3 \
    uvit:width=9,heads=3,layers=1 points:width=8,layers=1,heads=2,latent=8 \
        points:width=8,layers=1,latent=0,pixels=0,waves=3,time=channel; do
    ok "train $n" "$fd" train --data fields:n=32 --grid 16x16 --batch 4 --net $n --steps 2 \
        -o p.safetensors
    ok "sample $n" "$fd" sample --model p.safetensors --grid 32x32 --steps 3 -n 2 -o g.npy
done
bad 2 '--net: .* multiple of the patch' train --data fields:n=32 --grid 18x18 --net uvit
ok 'patches' "$fd" train --data fields:n=32 --grid 8x8 --net vit:width=8,layers=1 --batch 4 \
    --steps 1 -o p.safetensors
bad 2 '--grid: fd_patches: patch does not divide' sample --model p.safetensors --grid 10x8
bad 2 '--net: .* adapt' train --data fields:n=32 --grid 16x16 --net siren:mod=none
bad 2 '--net: .* groups must divide' train --data fields:n=32 --grid 16x16 \
    --net fno-separable:groups=5
bad 2 '--net: .* stencil must be odd, is: 4' train --data fields:n=32 \
    --grid 16x16 --net fno:stencil=4
bad 2 '--net: .* heads must divide' train --data fields:n=32 --grid 16x16 --net points:heads=5
bad 2 "waves: '2.5': expected a whole number" train --data fields:n=32 --grid 16x16 \
    --net points:waves=2.5
bad 2 '--net: .* must be odd' train --data fields:n=32 --grid 16x16 --net uvit:layers=4
ok 'empirical' "$fd" train --data fields:n=32 $small --cov empirical:floor=1e-3 --steps 2 \
    -o p.safetensors
ok 'empirical' "$fd" sample --model p.safetensors --grid 20x20 --steps 3 -n 2 -o g.npy
ok '1-D' "$fd" train --data fields:n=32 --grid 24 --boundary dirichlet \
    --net fno:width=8,layers=2,modes=6 --batch 4 --steps 2 -o p.safetensors
ok '1-D' "$fd" sample --model p.safetensors --grid 49 --steps 3 -n 2 -o g.npy --png g.png
ok '3-D, channels' "$fd" noise --grid 6x6x6 --channels 2 -n 9 -o d.npy
ok '3-D, channels' "$fd" train --data d.npy --channels first --net fno:width=4,layers=1,modes=4 \
    --batch 3 --steps 2 -o p.safetensors
ok 'loglik, channels' "$fd" loglik --model p.safetensors --data d.npy -n 2 --scheme pf-heun \
    --steps 2 --probes 1 && says '^2 functions, 250 dim' out
says '^2 of 9 functions of 2 channels on 6x6x6 .axes: function, channel, z, y, x.' out
ok '3-D, channels' "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy --png g.png &&
    "$fd" info g.npy >out
says '^\(2, 2, 6, 6, 6\)' out

# ---- weights from elsewhere
data=$src/data
ok info "$fd" info "$data/fno2.safetensors" && says '^conv0.weights1 +\(3, 3, 3, 2, 2\)  min' out
says '^FNO, 2-D: in 1, out 1, width 3, layers 3, coordinates closed, modes 3x2, time a ' out
says 'modes 3x2, time a channel times 1, 725 weights$' out
ok info "$fd" info "$data/operator2.safetensors" &&
    says '^neuraloperator 1 or later, 2-D: in 2, out 2, width 4, layers 2, ' out
ok info "$fd" info "$data/uvit.safetensors" &&
    says '^U-ViT, but fd_net_from: heads must be given' out
ok info "$fd" info "$data/io.npz" && says '^fno1.y +\(2, 1, 13\)  min' out
ok convert "$fd" convert "$data/operator02.safetensors" -o from.safetensors &&
    says '^wrote from.safetensors$' out
ok info "$fd" info from.safetensors && says '^net.layer2.spectral +\(4, 3, 3, 3, 2\)  min' out &&
    says '^arch.acts +2$' out
ok convert "$fd" convert "$data/uvit.safetensors" --as uvit:heads=2 -o from.safetensors &&
    says 'heads 2, patches 2x2, time a token times 999' out
ok 'convert, ffm' "$fd" convert "$data/operator03.npz" --as ffm --grid 6x8 --predict velocity \
    --process flow -o from.safetensors
says 'in 1, out 1, .* coordinates closed, modes 4x4, time a channel times 0.001' out
ok 'sample, converted' "$fd" sample --model from.safetensors --steps 3 -n 2 -o g.npy &&
    "$fd" info g.npy >out && says '^\(2, 6, 8\)  min' out
ok 'sample, converted' "$fd" sample --model from.safetensors --steps 3 -n 2 --grid 9x10 -o g.npy
ok 'convert, two channels' "$fd" convert "$data/uvit.safetensors" --as uvit:heads=2 --grid 6x6 \
    -o from.safetensors
ok 'sample, converted' "$fd" sample --model from.safetensors --steps 3 -n 2 -o g.npy &&
    "$fd" info g.npy >out && says '^\(2, 2, 6, 6\)  min' out
bad 1 'has no optimiser' train --data fields:n=32 --resume from.safetensors --steps 3 \
    --out r.safetensors
ok 'convert to npz' "$fd" convert from.safetensors -o from.npz && "$fd" info from.npz >out &&
    says '^net.norm.g +\(8\)' out
ok 'convert of npz' "$fd" convert "$data/fno1.npz" --as fno:act=tanh,tscale=1e-3 -o from.safetensors
ok 'norms, skips' "$fd" convert "$data/operator03mlp.safetensors" \
    --as neuraloperator:norms=-1,skip=identity,mlp-skip=identity -o from.safetensors
bad 1 'are they the identity or none. say so: fno_blocks.fno_skips.0.weight' convert \
    "$data/operator03mlp.safetensors" -o x.safetensors
bad 2 'norms: .1.5.: expected a whole number' convert "$data/operator2norm.safetensors" \
    --as neuraloperator:norms=1.5
bad 2 'needs a file' convert
bad 2 "needs a value" convert "$data/fno1.npz" --as
bad 2 'expected auto, fno, neuraloperator' convert "$data/fno1.npz" --as torch -o x.safetensors
bad 2 "fno has no key 'heads'" convert "$data/fno1.npz" --as fno:heads=2 -o x.safetensors
bad 2 'uvit: the names in .*fno1.npz are those of FNO' convert "$data/fno1.npz" --as uvit \
    -o x.safetensors
bad 2 'cov: has no meaning without --grid' convert "$data/fno1.npz" --cov band -o x.safetensors
bad 2 'grid: 2 axes, but the network has 1' convert "$data/fno1.npz" --grid 8x8 -o x.safetensors
bad 2 'grid: no model: 2 channels in, 1 out' convert "$data/operator02.safetensors" --grid 8x8 \
    -o x.safetensors
bad 2 'out: a network is a .safetensors' convert "$data/fno1.npz" --as fno -o x.npz
bad 1 'uvit.safetensors: .*heads must be given' convert "$data/uvit.safetensors" -o x.safetensors
bad 1 'heads must divide the width' convert "$data/uvit.safetensors" --as uvit:heads=3 \
    -o x.safetensors
bad 1 'io.npz: no names of a network' convert "$data/io.npz" -o x.safetensors
bad 1 'missing.npz' convert missing.npz -o x.safetensors
bad 1 'too few inputs' convert "$data/fno3.safetensors" --as fno:time=channel -o x.safetensors
head -c 3000 "$data/uvit.safetensors" >cut.safetensors &&
    bad 1 'cut.safetensors' convert cut.safetensors -o x.safetensors
head -c 3000 "$data/fno1.npz" >cut.npz && bad 1 'cut.npz: malformed zip: cut short' info cut.npz
bad 1 'io.npz: holds several arrays: name one' train --data "$data/io.npz"

# ---- certify: one law on every grid, or not, by its exit status
pass_() { ok "certify $*" "$fd" certify "$@" && says '^PASS: ' out; }
fail_() {
    "$fd" certify "$@" >out 2>err; s=$?
    [ $s = 1 ] && [ ! -s err ]; report $? "certify $*: status $s: $(head -n 1 err)"
    says '^FAIL: ' out; says 'FAIL$' out
}
pass_ --png cert.png --out cert.csv; exists cert.png cert.csv
says '^points,wave,noise,samples,data$' cert.csv
says '^samples: variance of modes +0 .* pass$' out; [ "$(grep -c 'pass$' out)" = 6 ]
report $? "not six checks"
for c in band rbf:l=0.1 exp power:alpha=0.7 white:kmax=8 ortho-power:ref=32 ortho-fdp:ref=32 \
    ortho-hdm:ref=32; do
    pass_ --cov $c
done
for c in pixel-white ortho-power ortho-fdp ortho-hdm; do
    fail_ --cov $c; says '^samples: variance of modes +0 .*FAIL$' out
done
# only its pixel variance grows
fail_ --cov pixel-white:ref=32; fail_ --cov white; says '^samples: variance of modes +0 .*pass$' out
for p in vp-cosine subvp ve ou driftless flow ddpm flow-vp ladder fdp heat heat-cosine blur; do
    pass_ --process $p
done
# noise that ends at a wave, data that goes on, and no limit to what is done to it
for p in heat heat-cosine blur; do
    for c in band rbf:l=0.3; do pass_ --process $p --cov $c --grid 16; done
done
for p in heat heat-cosine; do fail_ --process $p:unit=pixel,kappa=1; done
for c in euler-maruyama pf-heun pf-rk4 ancestral-optimal stochastic-heun pf-multistep pf-adaptive \
    'annealed --corrector scaled:c=0.3'; do
    pass_ --scheme $c
done
for s in unit matched; do pass_ --start $s; done
for c in 'pf-multistep --corrector scaled' 'pf-adaptive --corrector scaled' \
    'pf-heun --corrector ladder:c=1e-9,at=begin'; do
    pass_ --scheme $c
done
pass_ --grid 12x10 --boundary neumann --steps 20
pass_ --grid 17 --boundary dirichlet --cov bridge --target bridge
# every pair of boundaries: spectra are compared on shells that are whole; a law that changes with
# the grid is seen in each
for b in periodic neumann dirichlet mixed; do
    for c in periodic neumann dirichlet mixed; do
        pass_ --cov matern:nu=1.5,l=0.2 --grid 9x8 --boundary $b,$c --steps 6
        fail_ --cov pixel-white:ref=0 --grid 9x8 --boundary $b,$c --steps 6
        says '^  spectrum +0 .*FAIL$' out
    done
done
# the SNR corrector: its step depends on the function, so by samples of one seed; the released norms
# are no law on functions
pass_ --corrector snr --grid 8 --cov exp:l=0.1 --scheme euler-maruyama
says '^a step of this corrector depends on the function: by 64 samples' out
pass_ --corrector snr:at=begin,inner=2 --grid 8x9 -n 16 --steps 12 --boundary neumann,periodic
fail_ --corrector snr-grid --grid 8 --cov exp:l=0.1 --scheme euler-maruyama
says '^  restricted, same seed .*FAIL$' out
fail_ --corrector snr-grid --grid 8 -n 16
pass_ --churn 0.5 --corrector scaled --scheme stochastic-heun
pass_ --cov matern:nu=1.5,l=0.2 --grid 5x4x6 --boundary neumann,periodic,mixed --steps 6
ok 'train for certify' "$fd" train --data fields:n=256 --grid 32 --steps 120 --cov matern \
    --net fno:width=8,layers=2 -o p.safetensors
pass_ --model p.safetensors --steps 20 -n 32; says '^model p.safetensors, 32 samples' out
ok 'train for certify' "$fd" train --data fields:n=256 --grid 32 --steps 120 --cov pixel-white \
    --net fno:width=8,layers=2 -o p.safetensors
fail_ --model p.safetensors --steps 20 -n 32; says '^samples: variance of modes +0 .*FAIL$' out
fail_ --tol 1e-18 --grid 8
# the law of the samples and that of the data: figures of fault F31, words, and a limit of one's own
law() { "$fd" certify --process vp-cosine --cov band --grid 24 \
    --target matern:nu=2.5,l=0.3,norm=image "$@" >out 2>err; s=$?; }
waves() { # waves LINE W=VALUE...: of the table of certify, to 2 %
    awk -v line="$1" -v want="$2" '$1 == "wave" { for (i = 2; i <= NF; i++) at[$i] = i }
        $1 == line && NF > 7 && !n { n = split(want, w, " "); for (i = 1; i <= n; i++) {
            split(w[i], p, "="); d = $(at[p[1]]) / p[2] - 1
            if (!(p[1] in at) || d > 0.02 || d < -0.02) bad = bad " " p[1] } }
        END { if (!n || bad) { print bad; exit 1 } }' out >x
    report $? "law of $3: waves $(cat x): $(grep '^samples  ' out)"
}
law --scheme ddim --times uniform; waves samples '1=0.944 11=0.057' 'ddim uniform'; [ $s = 0 ]
report $? "certify, a law that is not the data's: status $s"
says '^the sampler loses energy in waves 4 to 11: 0.057[0-9]* of the data.s at wave 11$' out
says '^PASS' out
law --scheme ddim --times rho; waves samples '1=0.9 8=0.806 11=0.775' 'ddim rho'
law --scheme pf-heun --times uniform; waves samples '1=1 11=92.3' 'pf-heun uniform'
says '^the sampler loses energy in wave 9: 0.0101 of the data.s$' out
says '^the sampler adds energy in waves 7 to 11: 92.3 ' out
law --scheme pf-heun --times logsnr; waves samples '1=0.996 11=0.949' 'pf-heun logsnr'
law; waves samples '0=1 1=1 2=1 11=1' 'the default'; grep -q 'energy' out; [ $? = 1 ]
report $? "the default sampler: $(grep energy out)"
law --law 0.1; [ $s = 0 ]; report $? "--law 0.1, the default: status $s"
law --law 0.1 --scheme ddim --times uniform; [ $s = 1 ]
report $? "--law 0.1, ddim uniform: status $s"
says '^FAIL: not the law of the data: a wave differs by 0.943, more than --law 0.1$' out
law --process vp --target rbf:l=0.2 --cov white:s=1,kmax=11
says 'the sampler loses energy in waves .*, where the last time leaves' out
# what every process does by default has the law that the last time allows, in every wave
for p in vp vp-cosine subvp ve ou driftless flow flow:smin=0 ddpm flow-vp flow-vp:s=0 ladder fdp \
    heat \
    heat-cosine blur; do
    law --process $p --cov exp:l=0.1 --target matern:nu=2.5,l=0.2; [ $s = 0 ]
    report $? "the default of $p: status $s: $(head -n 1 err)"
    awk '$1 == "samples" && NF > 7 { for (i = 2; i <= NF; i++) v[i] = $i }
         /^exact law at/ { n = NF - 6; for (i = 2; i <= n + 1; i++) { r = v[i] / $(i + 5)
             if (r > 1.025 || r < 0.985) bad++ } }
         END { exit bad || n < 7 }' out
    report $? "the default of $p: $(grep -E '^(samples  |exact law)' out)"
    says '^50 steps of pf-multistep at logsnr times, start (noise|matched)$' out
    "$fd" help process >help; sed -n "/^  ${p%%:*}  /,/sampled by/p" help >x
    says "sampled by $(grep '^50 steps' out)" x
done
ok 'start of certify' "$fd" certify &&
    says '^N.0, v C. at the last time: m there is 0.00657 at most' out
bad 2 '--cov: comes from the model' certify --model p.safetensors --cov rbf
bad 2 'a law on functions' certify --target pixel-white
bad 2 'a law on functions' certify --target white
bad 2 'empirical needs a model' certify --cov empirical
bad 2 'needs 3 points' certify --grid 2
bad 1 'm = 1' certify --scheme ve-predictor
LC_ALL=C sed 's/"kit.process":"../"kit.process":"\\n/' p.safetensors >lines.safetensors
bad 1 "lines.safetensors: kit.process: '.n.*expected vp" sample --model lines.safetensors
bad 1 'missing.safetensors' certify --model missing.safetensors
bad 2 'this noise has no variance' certify --cov white:s=0
bad 2 'above 0: --process flow:tmin=' certify --times geometric --process flow
bad 2 'above 0: --process flow:tmin=' orders --times geometric --process flow
"$fd" certify --grid 3x3x3 >out
says 'FAIL: a pixel variance that does not converge: .* too coarse' out
bad 2 'ladder needs v1 < vT' certify --process ladder:v1=9,vT=3
bad 2 'blur needs w0 <= w1' certify --process blur:w0=9

# ---- orders: near those that theory says
ok orders "$fd" orders --png order.png --out order.csv; exists order.png order.csv
says '^scheme,steps,evaluations,error$' order.csv
says '^ve-predictor +fd_advance: this scheme is for m = 1$' out
says '^ancestral-optimal .* exact$' out
while read -r c from to; do
    awk -v c="$c" -v a="$from" -v b="$to" \
        '$1 == c { exit !($NF >= a && $NF <= b) } END { if (!NR) exit 1 }' out
    report $? "order of $c: $(grep "^$c " out)"
done <<END
euler-maruyama 0.9 1.1
pf-euler 0.9 1.1
eta-euler 0.9 1.1
exponential 0.9 1.1
ancestral 0.9 1.1
ddim 0.9 1.1
vp-predictor 0.9 1.1
pf-heun 1.8 2.2
pf-midpoint 1.8 2.3
pf-multistep 1.8 2.2
stochastic-heun 1.7 2.2
pf-rk4 3.5 4.7
END
ok orders "$fd" orders --process driftless:tmin=0.01 --steps 64
says '^euler-maruyama .* (0.9|1.0)' out
bad 2 'empirical needs data' orders --target empirical
bad 2 '--steps: ' orders --steps 4

# ---- loglik: the flow from the matched start has the density in closed form; near t = 0 so has the
# bound
agree() {              # of COLUMN OTHER TOLERANCE: in every row of l.csv
    awk -F, -v a="$1" -v b="$2" -v t="$3" \
        'NR > 1 { d = $a - $b; if (!(d < t && d > -t)) bad++ } END { exit bad || NR < 2 }' l.csv
    report $? "columns $1 and $2 of l.csv differ: $(tail -n 1 l.csv)"
}
ok loglik "$fd" loglik -n 5 --process vp-cosine --start matched -o l.csv
says '^5 functions, 31 dimensions, t = 1e-05 .bound: 0.; pf-adaptive, exact trace$' out
says '^wrote l.csv$' out
says '^function,log_density,over_noise,bits,bound,gaussian$' l.csv; agree 2 6 0.05; agree 5 6 0.05
awk -F, 'NR > 1 { b = -($2 / 31 - 0.5 * log(32)) / log(2)
    if (!((b - $4) ^ 2 < 1e-6 && $3 < $2 - 40)) bad++ } END { exit bad || NR != 6 }' l.csv
report $? "bits of l.csv: $(tail -n 1 l.csv)"
ok 'loglik, a file' "$fd" noise --cov matern:nu=2.5,l=0.3 --grid 32 -n 9 -o c.npy
ok 'loglik, a file' "$fd" loglik --data c.npy -n 5 --batch 2 --process vp-cosine --start matched \
    -o k.csv && same l.csv k.csv
ok 'loglik, no match' "$fd" loglik -n 5 --process driftless -o l.csv &&
    awk -F, 'NR == 2 { exit !($2 - $6 > 0.3) }' l.csv
report $? "the start of driftless makes no difference"
for p in vp subvp ve ou driftless flow ddpm flow-vp ladder fdp heat heat-cosine blur; do
    ok "loglik $p" "$fd" loglik -n 2 --process $p --start matched -o l.csv && agree 2 6 0.1
done
ok 'loglik, probes' "$fd" loglik -n 5 --probes 200 -o l.csv && agree 2 6 4
ok 'loglik, 2-D' "$fd" loglik --grid 8x9 --boundary neumann,periodic -n 2 --start matched \
    --scheme pf-rk4 -o l.csv && agree 2 6 0.1
ok 'train for loglik' "$fd" train --data fields:n=512,k=1,var=1 --grid 32 --steps 150 \
    --net fno:width=16,layers=2 -o p.safetensors
ok 'loglik, model' "$fd" loglik --model p.safetensors --data fields:n=64,k=1,var=1 -n 64 -o l.csv &&
    says '8 probes of the trace$' out
awk '/^mean/ { exit !($2 > $6 - 12 && $2 < $6 + 6 && $5 > $6 - 12 && $5 < $6 + 6) }' out
report $? "density by a network: $(grep mean out)"
ok 'loglik, samples' "$fd" sample --model p.safetensors -n 2 --raw -o g.npy
ok 'loglik, samples' "$fd" loglik --model p.safetensors --data g.npy --raw --grid 40 &&
    says '^2 functions, 31 dimensions' out
bad 2 'a density needs pf-heun' loglik --scheme ddim
bad 2 'needs --data' loglik --model p.safetensors
bad 2 '--cov: comes from the model' loglik --model p.safetensors --data fields --cov rbf
bad 2 'no density at t = 0, where there is no noise: flow:tmin' loglik --process flow:smin=0
bad 2 '--times: geometric needs' loglik --process ve --times geometric
bad 2 'empirical needs a model' loglik --target empirical
bad 2 '--raw: is for --model' loglik --raw
bad 2 'no variance' loglik --cov white:s=0
bad 1 'missing.npy' loglik --data missing.npy
bad 1 'a grid of 1 axes' loglik --data c.npy --grid 8x8
ok 'train for loglik' "$fd" train --data fields:n=32 $small --steps 2 --predict score-half \
    -o p.safetensors
bad 1 'no density from a network that says score-half' loglik --model p.safetensors --data fields

# bytes are scaled, and scaled back
{ printf '\000\000\010\003\000\000\000\100\000\000\000\010\000\000\000\010'; head -c 4096 \
    "$src/tool.sh"; } >b.idx
ok bytes "$fd" train --data b.idx --net fno:width=8,layers=1,modes=4 --batch 8 --steps 2 \
    -o p.safetensors
"$fd" info p.safetensors >out; says '^kit.shift +-1$' out
ok bytes "$fd" sample --model p.safetensors --steps 9 -n 4 -o g.npy --png g.png
"$fd" info g.npy | awk \
    '{ for (i = 1; i < NF; i++) if ($i == "mean") exit !($(i + 1) > 40 && $(i + 1) < 130) }'
report $? "samples of bytes: $("$fd" info g.npy)"
ok 'bits of bytes' "$fd" loglik --model p.safetensors --data b.idx -n 2 --scheme pf-heun --steps 4 \
    --probes 1 -o l.csv
awk -F, 'NR > 1 { b = -($2 / 49 - 0.5 * log(64)) / log(2); if (!((b - $4) ^ 2 < 1e-6)) bad++ }
    END { exit bad || NR != 3 }' l.csv
report $? "bits of bytes: $(tail -n 1 l.csv)"
ok limit "$fd" train --data b.idx --limit 20 --grid 6x6 --net fno:width=8,layers=1,modes=4 \
    --batch 8 --steps 2 -o p.safetensors
says '^20 of 64 functions on 8x8 .axes: function, y, x., uint8, mean [0-9.]+, sd [0-9.]+;' out
says '[0-9]; taken to 6x6; used as -1 to 1$' out

# ---- data are taken as they are meant
# numbers M N SCALE SHIFT: M smooth functions on N points, in 64ths so that nothing is rounded in
# what follows
numbers() {
    awk -v m=$1 -v n=$2 -v a=$3 -v b=$4 'BEGIN { for (i = 0; i < m; i++) for (j = 0; j < n; j++) {
        u = 6.283185307179586 * j / n; p = 2.4 * i
        v = 0.5 + cos(u + p) + 0.3 * sin(2 * u + p * p) + 0.2 * cos(3 * u - 1.7 * p * p)
        printf "%.17g\n", a * int(64 * v + 40000) / 64 - a * 625 + b } }'
}
# npy TYPE SHAPE: the .npy of the numbers on standard input, which stand in its order; >f4, <f4,
# <f8, >f8
npy() {
    order=False; [ "$3" = fortran ] && order=True
    head=$(printf "%-117s" "{'descr': '$1', 'fortran_order': $order, 'shape': ($2,), }")
    printf '\223NUMPY\001\000\166\000%s\n' "$head"
    printf "$(awk -v type=$1 '
        function byte(x) { return sprintf("\\%03o", x) }
        BEGIN { big = type ~ /^>/; size = substr(type, 3); eb = size == 4 ? 8 : 11
                mb = 8 * size - 1 - eb; low = int(mb / 8); r = mb - 8 * low }
        { v = $1; s = v < 0; if (s) v = -v; e = 0; m = 0; E = 0
          if (v > 0) { while (v >= 2) { v /= 2; e++ } while (v < 1) { v *= 2; e-- }
              m = int((v - 1) * 2 ^ mb + 0.5); if (m == 2 ^ mb) { m = 0; e++ }
              E = e + 2 ^ (eb - 1) - 1 }
          hi = s * 2 ^ eb + E
          for (i = size; i > size - low; i--) { b[i] = m % 256; m = int(m / 256) }
          b[2] = (hi % 2 ^ (8 - r)) * 2 ^ r + m; b[1] = int(hi / 2 ^ (8 - r))
          for (i = 1; i <= size; i++) printf "%s", byte(b[big ? i : size + 1 - i]) }')"
}
# values FILE COUNT: the last numbers of a .npy that fd wrote; near A B SCALE SHIFT TOL: B is SCALE
# A + SHIFT
real=4; "$fd" help | grep -q '(double' && real=8
values() { tail -c $(($2 * real)) $1 | od -A n -v -t f$real -w$real; }
near() {
    awk -v a=$3 -v b=$4 -v tol=$5 'NR == FNR { x[NR] = $1; if ($1 ^ 2 > top) top = $1 ^ 2; next }
        { e = ($1 - b) / a - x[FNR]; if (!(e * e < tol * tol * top)) bad++; n++ }
        END { exit bad || !n || n != NR - FNR }' $1 $2
}
tiny="--net fno:width=8,layers=2,modes=6 --batch 8 --steps 12"
# model NAME FLAGS...: trains on NAME.npy; its samples, what they are in the model, densities of
# some data
model() {
    f=$1; shift
    ok "train $f" "$fd" train --data $f.npy $tiny "$@" -o $f.safetensors --by-mode $f.modes &&
        head -n 1 out >$f.line
    ok "sample $f" "$fd" sample --model $f.safetensors --times rho --steps 8 -n 4 -o $f.out.npy
    values $f.out.npy $((4 * points)) >$f.txt
}
points=16
numbers 40 16 1 0 | npy '<f4' 40,16 >one.npy; numbers 40 16 1000 300 | npy '<f4' 40,16 >large.npy
model one
says '^40 functions on 16 .axes: function, x., float32, mean 0.4[89][0-9]*, sd 0.7[0-9]*;' one.line
says '[0-9]; used as .x - mean./sd$' one.line
model large
says '^40 functions on 16 .axes: function, x., float32, mean [78][0-9][0-9].*, sd 7[0-9][0-9]' \
    large.line
near one.txt large.txt 1000 300 1e-3; s=$?
report $s "samples of 1000 x + 300 not 1000 samples + 300: $(paste one.txt large.txt | head -n 2)"
awk -F, 'NR > 1 && NR == FNR { x[NR] = $3; y[NR] = $4 } NR != FNR && FNR > 1 { n++
    if (($3 / 1e6 - x[FNR]) ^ 2 > 1e-4 * x[FNR] ^ 2 + 1e-12 ||
        ($4 / 1e6 - y[FNR]) ^ 2 > 1e-4 * y[FNR] ^ 2 + 1e-12) bad++ }
    END { exit bad || n < 20 }' one.modes large.modes
report $? "errors by mode are not in the units of the data"
ok 'resume' "$fd" train --data large.npy --resume large.safetensors --steps 14 \
    -o again.safetensors && says 'used as large.safetensors has it' out
ok 'loglik one' "$fd" loglik --model one.safetensors --data one.npy -n 3 --scheme pf-heun \
    --steps 8 --probes 1 -o one.csv
ok 'loglik large' "$fd" loglik --model large.safetensors --data large.npy -n 3 --scheme pf-heun \
    --steps 8 --probes 1 -o large.csv
# densities are those of the numbers in the file: D log 1000 lower, log2 1000 bits more, over noise
# the same
awk -F, 'NR == FNR { for (i = 2; i <= 6; i++) x[NR, i] = $i; next } FNR > 1 {
    n++; d = 15 * log(1000)
    for (i = 2; i <= 6; i++) { e = $i - x[FNR, i] + (i == 3 ? 0 : i == 4 ? -log(1000) / log(2) : d);
        if (!(e * e < 0.01)) bad++ } }
    END { exit bad || n != 3 }' one.csv large.csv
report $? "densities: $(tail -n 1 one.csv) and of 1000 x + 300 $(tail -n 1 large.csv)"
# one array in the ways that it may be written
numbers 40 16 1 0 | npy '<f8' 40,16 >double.npy; numbers 40 16 1 0 | npy '>f4' 40,16 >big.npy
numbers 40 16 1 0 | npy '<f4' 40,16,1 >last.npy; numbers 40 16 1 0 | npy '<f4' 40,1,16 >first.npy
le() { i=0 v=$2; while [ $i -lt $1 ]; do printf "\\$(printf %03o $((v % 256)))"
    v=$((v / 256)) i=$((i + 1)); done; }
# zip FILE METHOD NAME MEMBER..: 8 deflated, 0 stored; gzip knows the checksum, and its body is what
# zip wants
zip() {
    to=$1 how=$2 count=0; shift 2; : >$to; : >zip.end
    while [ $# -gt 0 ]; do
        gzip -nc $2 >zip.gz; n=$(($(wc -c <zip.gz))) at=$(($(wc -c <$to)))
        tail -c 8 zip.gz | head -c 4 >zip.crc; size=$(($(wc -c <$2)))
        if [ $how = 8 ]; then tail -c +11 zip.gz | head -c $((n - 18)) >zip.body
        else cat $2 >zip.body; fi
        { le 2 20; le 2 0; le 2 $how; le 4 2162688; cat zip.crc; le 4 $(($(wc -c <zip.body)))
          le 4 $size; le 2 ${#1}; le 2 0; } >zip.head
        { printf 'PK\003\004'; cat zip.head; printf %s "$1"; cat zip.body; } >>$to
        { printf 'PK\001\002'; le 2 20; cat zip.head; le 2 0; le 2 0; le 2 0; le 4 0; le 4 $at
          printf %s "$1"; } >>zip.end
        count=$((count + 1)); shift 2
    done
    at=$(($(wc -c <$to)))
    { cat zip.end; printf 'PK\005\006'; le 4 0; le 2 $count; le 2 $count
      le 4 $(($(wc -c <zip.end))); le 4 $at; le 2 0; } >>$to
}
tail -c 2560 one.npy >one.raw
numbers 40 16 1 0 | awk 'ORS = NR % 16 ? "," : "\n"' >one.csv
gzip -nc one.npy >one.npy.gz
zip one.npz 8 x.npy one.npy y.npy last.npy
{ printf '\200\002ctorch._utils\n_rebuild_tensor_v2\n((X\007\000\000\000storagectorch\n'
  printf 'FloatStorage\nX\001\000\000\0000X\003\000\000\000cpuM\200\002tQK\000K\050K\020\206'
  printf 'K\020K\001\206\211ccollections\nOrderedDict\n)RtR.'; } >one.pkl
zip one.pt 0 one/data.pkl one.pkl one/data/0 one.raw
c='{"x":{"dtype":"F32","shape":[40,16],"data_offsets":[0,2560]}} '
{ le 8 ${#c}; printf %s "$c"; cat one.raw; } >one.st
numbers 40 16 1 0 | awk '{ x[NR] = $1 } END {
    for (j = 1; j <= 16; j++) for (i = 0; i < 40; i++) print x[16 * i + j] }' | npy '<f4' 16,40 |
    tail -c 2560 >columns.raw
{ printf '%-116s' 'MATLAB 5.0 MAT-file'; le 8 0; le 2 256; printf IM; le 4 14; le 4 2616; le 4 6
  le 4 8; le 4 7; le 4 0
  le 4 5; le 4 8; le 4 40; le 4 16; le 4 1; le 4 1; printf x; le 7 0; le 4 7; le 4 2560
  cat columns.raw; } >one.mat
{ printf '\000\000\015\002\000\000\000\050\000\000\000\020'; tail -c 2560 big.npy; } >one.idx
for f in csv npy.gz npz:x pt st mat idx; do
    ok "train one.$f" "$fd" train --data one.$f $tiny -o p.safetensors &&
        says '^40 functions on 16 .axes: function, x., float(32|64), mean 0.4[89][0-9]*, sd ' out &&
        says ', sd 0.7[0-9]*; used as' out
    ok "sample one.$f" "$fd" sample --model p.safetensors --times rho --steps 8 -n 4 -o g.npy
    values g.npy 64 >x; near one.txt x 1 0 1e-6; report $? "one.$f: other functions than one.npy"
done
numbers 40 16 1 0 | awk '{ x[NR] = $1 } END {
    for (j = 1; j <= 16; j++) for (i = 0; i < 40; i++) print x[16 * i + j] }' |
    npy '>f8' 40,16 fortran >fortran.npy
for f in double big fortran last first; do
    model $f; near one.txt $f.txt 1 0 1e-6
    report $? "$f.npy: other functions than one.npy"
done
says '^40 functions on 16 .axes: function, x., float64' fortran.line
says '^40 functions of 1 channel on 16 .axes: function, x, channel.' last.line
"$fd" info last.out.npy >out; says '^\(4, 16, 1\)' out; "$fd" info first.out.npy >out
says '^\(4, 1, 16\)' out
# far from zero: 1e7 is no place for a float, but the file has doubles
numbers 40 16 1 1e7 | npy '<f8' 40,16 >far.npy; model far
values far.out.npy 64 >x
awk '{ e = $1 - 1e7; if (!(e > -4 && e < 5)) bad++ } END { exit bad || NR != 64 }' x
report $? "data about 1e7: samples $(head -n 1 x)"
"$fd" sample --model far.safetensors --times rho --steps 8 -n 4 --raw -o y.npy >out 2>err
"$fd" sample --model one.safetensors --times rho --steps 8 -n 4 --raw -o x.npy >out 2>err
values x.npy 64 >x; values y.npy 64 >y; near x y 1 0 1e-3
report $? "data about 1e7 are others than about 0"
# each channel has its own mean and deviation; where they stand is said, and asked where it is not
# clear
{ numbers 40 16 1 0; numbers 40 16 1000 300; } | awk '{ x[NR] = $1 } END {
    for (i = 0; i < 40; i++) for (c = 0; c < 2; c++)
        for (j = 1; j <= 16; j++) print x[640 * c + 16 * i + j] }' >two
npy '<f4' 40,2,16 <two >two.npy
awk '{ x[NR - 1] = $1 } END { for (i = 0; i < 40; i++) for (j = 0; j < 16; j++)
    for (c = 0; c < 2; c++) print x[32 * i + 16 * c + j] }' two | npy '<f4' 40,16,2 >two-last.npy
points=32; model two --channels first
says '^40 functions of 2 channels on 16 .axes: function, channel, x., float32, mean ' two.line
says ', mean 0.4[0-9]* [78][0-9.]*, sd 0.7[0-9]* 7[0-9.]*; used as' two.line
values two.out.npy 128 | awk '{ c = int((NR - 1) / 16) % 2; n[c]++; s[c] += $1; q[c] += $1 ^ 2 }
    END { for (c = 0; c < 2; c++) { m = s[c] / n[c]; d = sqrt(q[c] / n[c] - m * m)
              u = c ? 1000 : 1; if (d < 0.2 * u || d > 3 * u) bad++ } exit bad }'
report $? "two channels: samples have other deviations"
model two-last --channels last
awk '{ x[NR - 1] = $1 } END { for (i = 0; i < 4; i++) for (c = 0; c < 2; c++)
    for (j = 0; j < 16; j++) print x[32 * i + 2 * j + c] }' two-last.txt >x
near two.txt x 1 0 1e-6
report $? "channels last are others than channels first"
says 'axes: function, x, channel' two-last.line
ok 'by the model' "$fd" loglik --model two-last.safetensors --data two-last.npy -n 2 \
    --scheme pf-heun --steps 2 --probes 1
points=16
bad 2 'two.npy: shape .40,2,16.: which axis is that of the channels. ' train --data two.npy
says 'channels. --channels first: 2 channels on 16; none: a grid of 2x16$' err
bad 2 'shape .40,16,2.: .*--channels last: 2 channels on 16; none: a grid of 16x2$' train \
    --data two-last.npy
bad 1 'two.npy: 2 channels where the model has 1' loglik --model one.safetensors --data two.npy \
    --channels first
# shape_of SHAPE PATTERN: how zeros of that shape are read, or what is said instead
shape_of() { awk -v s=$1 'BEGIN { n = split(s, x, ","); c = 1; for (i = 1; i <= n; i++) c *= x[i];
    for (i = 0; i < c; i++) print i % 7 }' | npy '<f4' $1 >s.npy
    "$fd" noise --data s.npy --cov empirical -n 1 $3 $4 -o c.npy >out 2>&1; says "$2" out; }
shape_of 5,16,16,2 \
    'shape .5,16,16,2.: .*--channels last: 2 channels on 16x16; none: a grid of 16x16x2$'
shape_of 5,2,16,16 '--channels first: 2 channels on 16x16; none: a grid of 2x16x16$'
shape_of 5,3,8,8 '--channels first: 3 channels on 8x8; none: a grid of 3x8x8$'
shape_of 5,2,8,2 \
    '--channels last: 2 channels on 2x8; first: 2 channels on 8x2; none: a grid of 2x8x2$'
shape_of 5,31,31,1 '^5 functions of 1 channel on 31x31 .axes: function, y, x, channel.'
shape_of 5,1,9,9 '^5 functions of 1 channel on 9x9 .axes: function, channel, y, x.'
shape_of 5,8,8,8 '^5 functions on 8x8x8 .axes: function, z, y, x.'
shape_of 5,28,28 '^5 functions on 28x28 '; shape_of 5,64 '^5 functions on 64 '
shape_of 5,3 '^5 functions on 3 '
shape_of 5,3,3 '^5 functions on 3x3 '; shape_of 5,3,6,6,6 '^5 functions of 3 channels on 6x6x6 '
shape_of 5,6,6,6,6 '--channels last: 6 channels on 6x6x6; first: 6 channels on 6x6x6$'
shape_of 5,8,8,2 '^5 functions of 2 channels on 8x8 ' --channels last
shape_of 5,8,8,2 '^5 functions on 8x8x2 ' --channels none
shape_of 5,8,8,2 '^5 functions of 8 channels on 8x2 ' --channels first
shape_of 0,8 'it is empty: axis 0 has length 0'; shape_of 5,8,0 'it is empty: axis 2 has length 0'
echo 5 | npy '<f4' 1 | sed 's/(1,)/()  /' >s.npy
bad 1 's.npy: shape ..: expected' train --data s.npy
shape_of 5,70,8 \
    'expected \[functions\]\[channels\]\[grid\], a grid of 1 to 3 axes and up to 64 channels' \
    --channels first
shape_of 5,8 'with --data first, last or none' --channels 2
bad 2 '--channels: last is for --data' noise --grid 8 --channels last
bad 2 "--channels: '65': expected auto, none, first, last" noise --grid 8 --channels 65
# complex numbers are two channels
numbers 40 32 1 0 | npy '<f4' 40,16 | sed "s/'<f4'/'<c8'/" >complex.npy; model complex
says '^40 functions of 2 channels on 16 .axes: function, x, channel., complex64 as ' complex.line
says ' complex64 as real and imaginary part, mean 0.[0-9]* 0' complex.line
bad 2 'holds complex numbers, which are two channels, last' train --data complex.npy \
    --channels first
# pictures in colours
mkdir pictures
for i in 1 2 3 4 5; do
    "$fd" noise --grid 8x8 -n 1 --seed $i --png pictures/$i.png -o g.npy >out
done
ok pictures "$fd" train --data pictures --grid 8x8 $tiny --batch 2 -o p.safetensors &&
    says '^5 functions of 3 channels on 32x32 .axes: function, y, x, channel., uint8, mean ' out &&
    says ' mean ([0-9.]+ ){3}?.*; taken to 8x8; used as -1 to 1$' out
ok pictures "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy && "$fd" info g.npy >out &&
    says '^\(2, 8, 8, 3\)  min' out
# bytes are what the file says, not what the values look like
awk 'BEGIN { for (i = 0; i < 640; i++) print 3 + 9 * (int(i / 5) % 2) }' |
    npy '<f4' 40,16 >whole.npy
model whole; says ', float32, mean [67].*; used as .x - mean./sd$' whole.line
awk '{ if ($1 < -15 || $1 > 30) bad++; s += $1 } END { exit bad || s / NR < 2 || s / NR > 12 }' \
    whole.txt; report $? "whole numbers were taken for bytes"
ok 'bytes, scale' "$fd" train --data b.idx $tiny --normalize scale -o p.safetensors &&
    says 'uint8, mean [0-9.]+, sd [0-9.]+; used as .x - mean./sd$' out
# a mean function, on its own grid and on another
ok pixel "$fd" train --data large.npy $tiny --normalize pixel -o p.safetensors &&
    says 'used as .x - mean at each point./sd$' out
ok pixel "$fd" info p.safetensors && says '^data.center +\(16\)' out &&
    says '^kit.normalize +pixel$' out
for g in 16 32; do ok "pixel, $g" "$fd" sample --model p.safetensors --grid $g --times rho \
    --steps 8 -n 4 -o p$g.npy; done
values p32.npy 128 | awk 'NR % 2' >y; values p16.npy 64 >x; near x y 1 0 0.1
report $? "the mean function on another grid"
# data of two modes: the others get the floor of the preconditioner, a part of the largest
awk 'BEGIN { for (i = 0; i < 600; i++) print sin(int(i / 15)) * cos(0.41887902 * i) }' |
    npy '<f8' 40,15 >few.npy
for c in '1e-10 gauss' '1e-3 gauss:floor=1e-3'; do
    ok "a floor, $c" "$fd" train --data few.npy $tiny --precond "${c#* }" -o p.safetensors
    "$fd" info p.safetensors | awk -v want="${c% *}" '/^data.spectrum / {
        r = $4 / $6 / want; good = r > 0.999 && r < 1.001 } END { exit !good }'
    report $? "the floor of $c: $("$fd" info p.safetensors | grep '^data.spectrum')"
done
ok 'pixel, 1' "$fd" train --data one.npy $tiny --normalize pixel -o p.safetensors &&
    "$fd" sample --model p.safetensors --times rho --steps 8 -n 4 -o g.npy >out 2>err
values g.npy 64 >y; near y x 1000 300 1e-3; report $? "samples of 1000 x + 300, --normalize pixel"
cmp -s x large.txt; [ $? = 1 ]; report $? "--normalize pixel does nothing"
# as they are: the gap between the last time and noise is said
ok none "$fd" train --data large.npy $tiny --normalize none -o p.safetensors &&
    says 'used as they are$' out &&
    says '^the law at the last time is not that of noise: W2 .* --normalize scale' out
ok scale "$fd" train --data large.npy $tiny -o p.safetensors; grep -q 'is not that of noise' out
[ $? = 1 ]; report $? "a gap where there is none: $(grep noise: out)"
ok driftless "$fd" train --data one.npy $tiny --process driftless -o p.safetensors &&
    says '^the law at the last time is not that of noise.*--start matched' out
ok 'other data' "$fd" train --data large.npy --resume one.safetensors --steps 13 -o p.safetensors \
    && says '^large.npy: as one.safetensors normalises, these have a mean square of' out
bad 2 '--normalize: comes from the model' train --data one.npy --resume one.safetensors \
    --normalize none
bad 2 '--normalize: has no meaning without --raw' eval --samples one.npy --data one.npy \
    --normalize scale
ok 'eval, raw' "$fd" eval --samples x.npy --data one.npy --raw -n 4 --pcs 2 &&
    says '^real: 40 functions .*used as .x - mean./sd$' out &&
    says '^samples: 4 functions .*used as the model has it$' out
# models that were written before there was --normalize
ok before "$fd" sample --model "$src/data/before-bytes.safetensors" --scheme ddim --times uniform \
    -n 2 --steps 4 --seed 5 -o g.npy && "$fd" info g.npy >out &&
    says '^\(2, 8\)  min 35.06[0-9]*  max 107.1[0-9]*  mean 74.9[0-9]*  sd 19.0' out
ok before "$fd" sample --model "$src/data/before-two.safetensors" --scheme ddim --times uniform \
    -n 2 --steps 4 --seed 5 -o g.npy && "$fd" info g.npy >out &&
    says '^\(2, 2, 8\)  min -2.118[0-9]*  max 0.400' out
# fill values, and what is not finite
with() { numbers 40 16 1 280 | awk -v at=$1 -v v=$2 \
    'NR == at || NR == at + 7 { print v; next } { print }' | npy '<f8' 40,16 >f.npy; }
with 50 1e20
bad 1 'f.npy: its largest value, 1e.20 .function 3; 2 such., is [0-9.e+]+ st' train --data f.npy
says ' standard deviations from the mean of the others: a fill value.' err
with 50 -1e30; bad 1 'its least value, -1e.30' train --data f.npy
with 50 1e200; bad 1 '1e.200 .function 3' train --data f.npy
with 50 -9999
ok 'fill value' "$fd" train --data f.npy $tiny -o p.safetensors &&
    says '^f.npy: its least value, -9999 .function 3; 2 such., is 1[0-9.e+]* standard deviations' \
    out
awk 'BEGIN { for (i = 0; i < 640; i++) print i % 3 ? 1e20 : 280 + i % 5 }' |
    npy '<f8' 40,16 >f.npy; bad 1 'a fill value' train --data f.npy
# two phases, waves that fade, data in tiny units: nothing strange in them
awk 'BEGIN { for (i = 0; i < 640; i++) print i % 7 ? 1 : 1e6 }' | npy '<f8' 40,16 >f.npy
ok 'two phases' "$fd" train --data f.npy $tiny -o p.safetensors; grep -q fill out; [ $? = 1 ]
report $? "two phases: $(grep fill out)"
awk 'BEGIN { for (i = 0; i < 640; i++) print exp(-i * i / 999) * sin(i) }' |
    npy '<f8' 40,16 >f.npy; ok 'a bump' "$fd" train --data f.npy $tiny -o p.safetensors
grep -q fill out; [ $? = 1 ]; report $? "a bump: $(grep fill out)"
numbers 40 16 1e-14 0 | npy '<f8' 40,16 >small.npy; model small
near one.txt small.txt 1e-14 0 1e-3; report $? "data of 1e-14"
numbers 40 16 1e200 0 | npy '<f8' 40,16 >huge.npy
bad 1 'huge.npy: function [0-9]+ holds .*e.199: too large' train --data huge.npy --normalize none
awk 'BEGIN { for (i = 0; i < 640; i++) print 7 }' | npy '<f4' 40,16 >f.npy
bad 1 'the functions are all the same' train --data f.npy
# a loss that explodes ends the run; the model of before stays as it was
explodes() { # ARGUMENTS: status 1, one line
    "$fd" train --data one.npy "$@" --steps 400 --lr 10 --clip 0 --warmup 0 --save-every 1 \
        -o explode.safetensors >out 2>err; s=$?
    [ $s = 1 ]; report $? "a loss that explodes: status $s"; sed -i '/^step [0-9]* (/d' err
    says '^fd: step [0-9]+: the loss has exploded, from [0-9.]+: a smaller --lr, --clip 1; ' err
    [ "$(wc -l <err)" = 1 ]; report $? "explosion: $(cat err)"
}
explodes $tiny --precond none; says 'no model was written$' err; [ ! -e explode.safetensors ]
report $? "a model after an explosion"
ok 'before the explosion' "$fd" train --data one.npy $tiny --precond none -o explode.safetensors \
    && cp explode.safetensors good.safetensors
explodes --resume explode.safetensors; says 'the last good model is in explode.safetensors$' err
same explode.safetensors good.safetensors

# memory is said, and foreseen; a file is not loaded whole
mega() { echo $(($1 * real / 4))M; }
ok 'memory' "$fd" train --data fields:n=32 --grid 32x32 --steps 12 --memory 600M -o p.safetensors \
    && says '^fno: [0-9.]+ million weights; about [0-9]+ MB for batches of 32$' out &&
    says '^about [0-9.]+ (s|min|hours) for 12 steps$' out
bad 1 'fno: .* million weights: batches of 32 need about [0-9]+ MB, more than there is: ' train \
    --data fields:n=32 --grid 32x32 --memory $(mega 150)
says ' more than there is: give more by --memory, or --accumulate [248]' err
bad 1 'fno: .* million weights: [0-9.]+ MB are left for training, not enough for 1 function' train \
    --data fields:n=32 --grid 64x64 --memory $(mega 68) --batch 64
ok 'accumulate' "$fd" train --data fields:n=32 --grid 32x32 --steps 1 --memory $(mega 150) \
    --accumulate 8 -o p.safetensors
c=$(printf "%-117s" "{'descr': '<f$real', 'fortran_order': False, 'shape': (7000, 64, 64), }")
{ printf '\223NUMPY\001\000\166\000%s\n' "$c"; tail -c $((16 * 4096 * real)) noise.npy; } >long.npy
dd if=/dev/null of=long.npy bs=1 seek=$((128 + 7000 * 4096 * real)) 2>/dev/null
ok 'a long file' "$fd" train --data long.npy --net fno:width=4,layers=1,modes=4 --batch 4 \
    --steps 20 --memory $(mega 16) -o p.safetensors
says '^7000 functions on 64x64 .axes: function, y, x., float(32|64), mean [-0-9.e]+, sd ' out
says ', sd 0.0[0-9]+; used as' out
ok 'a long file, limit' "$fd" train --data long.npy --limit 20 --net fno:width=4,layers=1,modes=4 \
    --batch 4 --steps 2 --memory $(mega 16) -o p.safetensors && says '^20 of 7000 functions' out
ok 'a long file, loglik' "$fd" loglik --data long.npy --model p.safetensors -n 2 --scheme pf-heun \
    --steps 2 --probes 1 --memory $(mega 16) && says '^2 of 7000 functions' out
ok 'a long file, noise' "$fd" noise --data long.npy --cov empirical -n 1 --memory $(mega 16) \
    -o g.npy
"$fd" train --data long.npy --net fno:width=4,layers=1,modes=4 --batch 4 --budget 60 \
    --memory $(mega 16) -o p.safetensors >out 2>err &
for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; grep -q '^step' err && break; done
: >long.npy; wait $!; s=$?
[ $s = 1 ]; report $? "a file cut while it is read: status $s"
says '^fd: a file became shorter while it was read$' err
rm -f long.npy

# ---- going on: 3 steps and 3 more are 6
flat="--lr 1e-3 --lr-end 1e-3"
ok 6 "$fd" train --data fields:n=64 $small $flat --steps 6 -o a.safetensors
ok 3 "$fd" train --data fields:n=64 $small $flat --steps 3 -o b.safetensors
ok 3+3 "$fd" train --data fields:n=64 --resume b.safetensors --steps 6 -o b.safetensors &&
    same a.safetensors b.safetensors
for n in uvit:layers=1,width=16 fno-field:width=8,layers=1,modes=4,latent=4 siren:width=8,layers=1 \
    uno:width=4,levels=2,rank=0.3 unet:width=4,levels=2,layers=1 fno-separable:width=8,layers=1 \
    points:width=8,layers=1; do
    case $n in u*) r=adabelief ;; f*) r=amsgrad:b1=0.8 ;; *) r=adamw:b2=0.95 ;; esac
    some="--grid 16x16 --net $n --batch 4 --optimizer $r --clip-each 0.1 --flip last"
    some="$some --norm sobolev --accumulate 2 $flat"
    ok "6 $n" "$fd" train --data fields:n=64 $some --steps 6 -o q.safetensors --log a.csv
    ok "3 $n" "$fd" train --data fields:n=64 $some --steps 3 -o r.safetensors
    ok "3+3 $n" "$fd" train --data fields:n=64 --resume r.safetensors --steps 6 -o r.safetensors \
        && same q.safetensors r.safetensors
    ok "again $n" "$fd" train --data fields:n=64 $some --steps 6 -o r.safetensors --log b.csv &&
        same q.safetensors r.safetensors
    # the same curve, but for the seconds
    cut -d, -f1-4 a.csv >x && cut -d, -f1-4 b.csv >y && same x y
done
bad 2 '--accumulate: 3 does not divide' train --data fields:n=64 $small --accumulate 3
bad 2 '--optimizer: comes from the model' train --data fields --resume r.safetensors \
    --optimizer adamw
bad 2 "--optimizer: 'sgd': expected adamw, amsgrad, adabelief" train --data fields --optimizer sgd
for r in "--flip all" "--optimizer amsgrad" "--optimizer adabelief" "--clip-each 1e-5" \
    "--accumulate 4"; do
    ok "train $r" "$fd" train --data fields:n=64 $small $flat $r --steps 3 -o r.safetensors \
        --log b.csv
    tail -n 1 b.csv | cut -d, -f2 >>curves
done
# amsgrad is Adam while v grows, four parts have the gradient of the whole: these two may agree
[ "$(sort -u curves | wc -l)" -ge 4 ]; report $? "flags of training change nothing: $(cat curves)"
bad 2 '--cov: comes from the model' train --data fields --resume b.safetensors --cov rbf
bad 2 'has taken 6 already' train --data fields --resume b.safetensors
bad 1 'noise.npy' train --data fields --resume noise.npy
size=$(wc -c <b.safetensors)
for n in 0 7 8 100 $((size / 2)) $((size - 1)); do
    head -c $n b.safetensors >cut.safetensors
    bad 1 'cut.safetensors' sample --model cut.safetensors
done

# ---- stopped and killed runs
long="--data fields:n=64 $small --steps 1000000 --save-every 1 -o k.safetensors"
running() { i=0; while [ ! -s k.safetensors ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
    sleep 0.2; }
for sig in INT TERM; do
    rm -f k.safetensors; "$fd" train $long >out 2>err & pid=$!
    running; kill -$sig $pid; wait $pid; s=$?
    [ $s = 130 ] || [ $s = 143 ]; report $? "SIG$sig: status $s"
    says '^fd: stopped at step [0-9]+; --resume k.safetensors goes on$' err
    says '^wrote k.safetensors$' out
    at=$(sed -n 's/^fd: stopped at step \([0-9]*\).*/\1/p' err)
    ok "after SIG$sig" "$fd" sample --model k.safetensors --steps 3 -n 2 -o g.npy
done
ok 'go on' "$fd" train --data fields:n=64 --resume k.safetensors --steps $((at + 2)) \
    -o k.safetensors && says "^step $((at + 2))," out
for i in 1 2 3; do
    rm -f k.safetensors*; "$fd" train $long >out 2>err & pid=$!
    running; kill -KILL $pid; wait $pid 2>/dev/null
    ok 'after SIGKILL' "$fd" sample --model k.safetensors --steps 3 -n 2 -o g.npy
done
# standard output that nobody reads: the run goes on, the model is written
rm -f k.safetensors
{ "$fd" train --data fields:n=64 $small --steps 40 --seed 9007199254740993 -o k.safetensors 2>err
  echo $? >status; } | :
s=$(cat status); [ "$s" = 141 ] || [ "$s" = 13 ] || [ "$s" = 269 ]
report $? "train | :, status $s: $(head -n 1 err)"
ok 'after SIGPIPE' "$fd" info k.safetensors && says '^adam.step +40$' out &&
    says '^kit.seed +9007199254740993$' out
(ulimit -f 16; "$fd" train --data fields:n=64 $small --steps 3 -o f.safetensors) >out 2>err
[ $? = 1 ]; report $? "train, ulimit -f: status"
[ ! -e f.safetensors ]; report $? "train, ulimit -f: a torn model"
ok budget "$fd" train --data fields:n=64 $small --budget 0.5 -o g.safetensors

# ---- the thesis's tables, on 660 images of 8x8: all rows, and again from its files
"$fd" noise --grid 8x8 -n 660 -o t.npy >/dev/null
{ printf '\000\000\010\001\000\000\002\224'; i=0; while [ $i -lt 66 ]; do
      printf '\000\001\002\003\004\005\006\007\010\011'; i=$((i + 1)); done; } >t.idx
tiny="--data t.npy --labels t.idx --outdir thesis --train 1 --steps 4 --batch 2 -n 40 --seed 3"
ok thesis "$B/thesis" $tiny; says '^5.2 +R = I, T = 100 ' out; says '^wrote thesis/thesis.csv$' out
exists thesis/thesis.png thesis/mod-white.safetensors thesis/R-10-more.npy
[ "$(wc -l <thesis/thesis.csv)" = 22 ]; report $? "thesis.csv has not 22 lines"
sed 's/^wrote.*//' out | grep . >first; ok 'thesis, again' "$B/thesis" $tiny
grep -v '^wrote' out | grep . >x && same first x
ok 'thesis, one table' "$B/thesis" $tiny --table 5.3
[ "$(wc -l <thesis/thesis.csv)" = 5 ]; report $? "a table of three rows has not 5 lines"
"$B/thesis" ${tiny%3}4 >out 2>err; [ $? = 1 ]; report $? 'thesis: files of another seed'
says '^thesis: thesis/white.npy: was made with other settings, .* --seed 3 .* not .* --seed 4 ' err
"$B/thesis" $tiny --table 6 >out 2>err; [ $? = 2 ]; report $? 'thesis --table 6'
says 'expected 5.1, 5.2' err
tr '\011' '\012' <t.idx >t10.idx
"$B/thesis" --data t.npy --labels t10.idx --outdir thesis10 -n 40 >out 2>err; [ $? = 1 ]
report $? 'thesis: a label of 10'; says 'image 9 has the label 10: wants 0 to 9' err

# ---- labels: told in training, asked for in sampling
told="train --data t.npy --labels t.idx --steps 4 --batch 8"
for n in uvit:width=8,layers=3,heads=2 fno:width=4,layers=1; do
    ok "train $n, labels" "$fd" $told --net $n -o label.safetensors
    ok 'labels, info' "$fd" info label.safetensors && says '^kit.drop +0.1' out
    says '^kit.labels +t.idx$' out; says '^arch.labels +10$' out
    draw="sample --model label.safetensors -n 2 --steps 3"
    ok 'any label' "$fd" $draw -o any.npy; ok 'label -1' "$fd" $draw --label -1 -o x.npy
    same any.npy x.npy
    ok 'label 3' "$fd" $draw --label 3 -o l3.npy
    ok 'label 3, guided' "$fd" $draw --label 3 --guidance 2 -o g3.npy
    for f in any.npy g3.npy; do cmp -s l3.npy $f; [ $? = 1 ]; report $? "l3.npy is $f"; done
    ok 'train on, labels' "$fd" train --resume label.safetensors --data t.npy --steps 6
done
# the same labels from text: the same weights
od -An -v -tu1 -j8 t.idx | tr -s ' ' '\n' | grep . >t.csv
for f in t.idx t.csv; do
    ok "labels, $f" "$fd" train --data t.npy --labels $f --steps 4 --batch 8 \
        --net fno:width=4,layers=1 -o x.safetensors
    tail -c 2048 x.safetensors >$f.end
done
same t.idx.end t.csv.end
bad 2 'has 10 labels, from 0' sample --model label.safetensors --label 10
bad 2 'was trained without --labels' sample --model alone.safetensors --label 0
bad 2 'no meaning without --label$' sample --model label.safetensors --guidance 1
bad 2 'no meaning without --labels' train --data t.npy --drop 0.2
bad 2 'labels want a transformer' $told --net siren
bad 2 'not with --condition' $told --condition points
bad 2 'was trained without' train --resume alone.safetensors --data g.npy --labels t.idx
bad 2 '^fd: --pairs: label.safetensors was trained with --labels' train \
    --resume label.safetensors --pairs t.npy:t.npy --steps 9
bad 1 'not a label for each of the' train --data g.npy --labels t.idx --steps 1

for n in fno fno-original uno unet fno-separable points vit uvit vit-field uvit-field fno-field \
    siren \
    gabor; do
    ok "nets $n" sh -c 'mkdir -p nets && cd nets && "$0" "$1" 1 8' "$B/nets" $n &&
        says '^128 points, network' out
done
for a in cnn 'fno x' 'fno 0' 'fno 5 1' 'fno 5 2 3'; do
    "$B/nets" $a >out 2>err; [ $? = 2 ]; report $? "nets $a"; says '^usage: nets .* fno ' err
done

# ---- the short programs
short() { mkdir -p short && cd short && "$@"; s=$?; cd ..; return $s; }
ok own short "$B/own" && says 'relative distance [0-9.]+e-(0[67]|1[0-9])$' out
exists short/out/own.png
ok train short "$B/train" 5 && says '^0[.]7 +0[.]9[0-9]+ +[0-9.]+$' out
exists short/out/train.safetensors
ok operator short "$B/operator" && says 'apart by [0-9.]+e-(0[5-9]|1[0-9])$' out
ok model short "$B/model" && says 'two functions by [0-9.]+e-(0[5-9]|1[0-9])$' out
ok loss short "$B/loss" 3 && says '^ *16 ' out
ok judge short "$B/judge" && says 'yes, by' out && says 'no, by' out
"$B/judge" short/out/train.npy >out; [ $? = 1 ]; report $? "judge: a network of five steps"
printf '\000\000\015\002\000\000\000\001\000\000\000\001\177\300\000\000' >nan.idx
"$B/judge" nan.idx >out 2>err; [ $? = 2 ]; report $? "judge: nan"; says 'not finite' err
ok static short "$B/static" && says 'the same bits' out && says 'arena too small' out
ok bridge short "$B/bridge" && says 'over the exact one: (0[.]9|1[.]0)' out
exists short/out/bridge.npy
for a in 4 x '9 9'; do "$B/train" $a >out 2>err; [ $? = 2 ]; report $? "train $a"
    says '^usage: train ' err; done

# ---- the study of choices of C: its own check, its files
ok choice "$B/choice" --outdir choice && says 'white noise: pass$' out
exists choice/choice.png choice/choice.csv

cd / && rm -rf "$D"
echo "$pass passed, $fail failed"
[ $fail = 0 ]
