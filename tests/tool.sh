#!/bin/sh
# tool.sh BUILD: the behaviour of BUILD/fd: what it writes, what it says, how it fails.
# Last line: `N passed, N failed`.
B=$(cd "${1:-build}" && pwd) || exit 1
fd=$B/fd src=$(cd "$(dirname "$0")" && pwd)
D=$B/scratch.tool
rm -rf "$D" && mkdir -p "$D" && cd "$D" || exit 1
export FD_MEMORY=256M ASAN_OPTIONS=detect_leaks=0 OMP_WAIT_POLICY=passive
pass=0 fail=0

report() { if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "FAILED: $2"; fi; }
# ok TEXT COMMAND...: the command succeeds and says nothing on stderr but progress
ok() {
    name=$1; shift
    "$@" >out 2>err; s=$?
    grep -vE '^(step|sample) [0-9]+ \(' err >err.rest
    [ $s = 0 ] && [ ! -s err.rest ]; r=$?
    report $r "$name: status $s: $(head -n 2 err.rest)"
    return $r
}
# says PATTERN FILE
says() { grep -qE -e "$1" "$2"; report $? "'$1' not in $2: $(head -n 3 "$2")"; }
# bad STATUS PATTERN ARGUMENTS...: that status, one line on stderr, in which the pattern is, and no file
bad() {
    s=$1 p=$2; shift 2
    ls -lR . >before; : >err
    "$fd" "$@" >out 2>err; r=$?
    grep -vE '^(step|sample) [0-9]+ \(' err >err.rest; mv err.rest err
    [ $r = "$s" ]; report $? "fd $*: status $r, not $s: $(head -n 1 err)"
    [ "$(wc -l <err)" = 1 ] && grep -q '^fd: ' err; report $? "fd $*: not one line: $(head -n 3 err)"
    grep -qE -e "$p" err; report $? "fd $*: no '$p' in: $(head -n 1 err)"
    ls -lR . | grep -vE ' (before|err|out|err.rest|after)$|^total ' >after
    grep -vE ' (before|err|out|err.rest|after)$|^total ' before | diff -q - after >/dev/null
    report $? "fd $*: files changed"
    grep -q '^wrote' out; [ $? != 0 ]; report $? "fd $*: says that it wrote"
}
same() { cmp -s "$1" "$2"; report $? "$1 and $2 differ"; }
exists() { for f in "$@"; do [ -s "$f" ]; report $? "$f is missing or empty"; done; }

# ---- help: from the tables that parse
ok help "$fd" help && says 'fd train' out
ok help "$fd" --help
for c in train sample noise eval certify orders loglik info convert; do
    ok "help $c" "$fd" help $c && says '--memory SIZE' out && mv out help.1
    ok "$c --help" "$fd" $c --help && same out help.1
done
for t in cov process net flip optimizer predict precond weight norm time-law scheme times start corrector boundary map fields as; do
    ok "help $t" "$fd" help $t && says "^$t: " out
done
"$fd" help process >out; says '^  heat-cosine' out; "$fd" help cov >out; says 'nu=1.5' out; says '^  bridge' out
"$fd" help scheme >out; says 'pf-heun' out

# ---- noise
ok noise "$fd" noise --cov matern:nu=1.5,l=0.1 --grid 64x64 -n 16 -o noise.npy --png noise.png
says '^wrote noise.npy$' out; says '^wrote noise.png$' out; exists noise.npy noise.png
[ "$(od -A n -t x1 -N 8 noise.png | tr -d ' ')" = 89504e470d0a1a0a ]; report $? "noise.png is no PNG"
ok info "$fd" info noise.npy && says '^\(16, 64, 64\)  min -[0-9]' out
ok noise "$fd" noise --cov=matern:nu=1.5,l=0.1 --grid=64x64 --n=16 --out=again.npy && same noise.npy again.npy
ok noise "$fd" noise --grid 64x64 --first 9 -n 7 -o part.npy
tail -c 28672 noise.npy >x && tail -c 28672 part.npy >y && same x y
ok threads "$fd" noise --grid 64x64 -n 16 --threads 1 -o again.npy && same noise.npy again.npy
ok seed "$fd" noise --grid 64x64 -n 16 --seed 2 -o again.npy
cmp -s noise.npy again.npy; [ $? = 1 ]; report $? "--seed changes nothing"
for c in white:s=0.5,kmax=3 rbf:l=0.2 matern:nu=2.385,l=0.3,var=2 exp power:alpha=2.385,var=1 bessel:gamma=3; do
    ok "$c" "$fd" noise --cov $c --grid 15x9 -n 3 -o c.npy
    for b in neumann dirichlet mixed periodic,neumann; do
        ok "$c $b" "$fd" noise --cov $c --grid 15x9 --boundary $b -n 3 -o c.npy
    done
done
ok bridge "$fd" noise --cov bridge --boundary dirichlet --grid 50 -o c.npy --png c.png && exists c.png
ok brownian "$fd" noise --cov brownian:var=2 --boundary mixed --grid 50 -o c.npy
ok 3-D "$fd" noise --grid 5x6x7 -n 2 -o c.npy --png c.png && "$fd" info c.npy >out && says '^\(2, 5, 6, 7\)' out
ok channels "$fd" noise --grid 5x6 -n 2 --channels 3 -o c.npy && "$fd" info c.npy >out && says '^\(2, 3, 5, 6\)' out
# the same function on another grid: point i of 32 is point 2i of 64
ok fine "$fd" noise --cov rbf:l=0.2 --grid 64 -n 1 -o fine.npy
ok coarse "$fd" noise --cov rbf:l=0.2 --grid 32 -n 1 -o coarse.npy
w=$((($(wc -c <fine.npy) - $(wc -c <coarse.npy)) / 32))
for f in fine coarse; do
    n=64; [ $f = fine ] || n=32
    tail -c $((n * w)) $f.npy | od -A n -v -t f$w -w$w >$f.txt
done
awk 'NR == FNR { x[NR] = $1; next } { d = $1 - x[2 * FNR - 1]; if (d < 0) d = -d; if (d > m) m = d; n++ }
     END { exit !(n == 32 && m < 1e-3) }' fine.txt coarse.txt
report $? "two grids, two functions"

# ---- wrong command lines
bad 2 "'frain': no such command; expected train" frain
bad 2 '--stesp: unknown flag; nearest are --steps' train --stesp 5
bad 2 "--grid: '64xx': expected N, NxM or NxMxK" noise --grid 64xx
for g in 0 -3 x 64x 4x4x4x4 1.5 99999999999 8x '' 5000x5000x5000; do bad 2 '^fd: --grid: ' noise --grid "$g"; done
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
bad 2 'needs a file' info
bad 2 'needs a file' info ''
bad 2 'needs a file' convert ''
bad 2 'no command and no topic' help cow
bad 2 'no meaning' train --data fields --predict v --precond gauss
bad 2 'below the last time' train --data fields --process vp:tmin=3
bad 2 '--cov: .*DIRICHLET' noise --grid 8 --cov bridge
bad 2 '--target: .*DIRICHLET' certify --target bridge
bad 2 '--process: .*beta must lie between 0 and 1' certify --process ddpm:b1=1
bad 2 'tmin=0.001 is not below the last time, 1e-09' certify --process ou:tmax=1e-9
bad 2 '--model: needs a file name' sample --model ''
bad 2 '--out: needs a file name' noise --grid 8 -o ''
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
printf 'xx' >gz && gzip -c gz >x.idx.gz && bad 1 'gunzip' train --data x.idx.gz
printf '\000\000\015\002\000\000\000\003\000\000\000\002' >nan.idx
printf '\077\200\000\000\100\000\000\000\077\200\000\000\177\300\000\000\077\200\000\000\100\100\000\000' >>nan.idx
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
    "$fd" help cov >/dev/full 2>err; [ $? = 1 ]; report $? "full standard output"; says '^fd: standard output: ' err
fi
echo old >big.npy
(ulimit -f 8; "$fd" noise --grid 64x64 -n 16 -o big.npy) >out 2>err
[ $? = 1 ]; report $? "ulimit -f: status"
[ "$(wc -l <err)" = 1 ]; report $? "ulimit -f: $(cat err)"; says 'big.npy' err
[ "$(cat big.npy)" = old ]; report $? "a write that failed changed the file"
[ "$(ls | grep -c big)" = 1 ]; report $? "a write that failed left $(ls | grep big)"
mkdir tiny && if mount -t tmpfs -o size=64k none tiny 2>/dev/null; then
    "$fd" noise --grid 64x64 -n 16 -o tiny/x.npy >out 2>err; [ $? = 1 ]; report $? "full disk: status"
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
ok batch "$fd" sample --model m.safetensors --steps 5 -n 5 --batch 2 --threads 1 -o s2.npy && same s.npy s2.npy
w=$(((16 * 16 * 5 * 4) / 1280))
ok first "$fd" sample --model m.safetensors --steps 5 -n 3 --first 2 -o s3.npy
e=$((($(wc -c <s.npy) - $(wc -c <s3.npy)) / 2 * 3)); tail -c $e s.npy >x && tail -c $e s3.npy >y && same x y
for g in 24x24 15x17 32x32; do
    ok "on $g" "$fd" sample --model m.safetensors --grid $g --steps 3 -n 2 -o g.npy
    "$fd" info g.npy >out; says "^\(2, ${g%x*}, ${g#*x}\)  min" out
done
bad 2 '--grid: fd_spectral: too few points for the modes' sample --model m.safetensors --grid 4x4 --steps 3
bad 2 '--net: not on this grid: .*too few points' train --data fields:n=32 --grid 8x8 --net fno:modes=12 --batch 4
bad 2 '1 axes, but the model has 2' sample --model m.safetensors --grid 16
k=0; "$fd" help scheme | sed -n 's/^  \([a-z][^ ]*\).*/\1/p' >schemes
while read -r c; do                        # a scheme is right for the process, or refuses in one line
    "$fd" sample --model m.safetensors --scheme "$c" --eta 0.5 --steps 24 -n 1 -o g.npy >out 2>err; s=$?
    sed -i '/^sample /d' err
    [ $s = 0 ] && k=$((k + 1)) && [ ! -s err ] || { [ $s = 1 -o $s = 2 ] && [ "$(wc -l <err)" = 1 ]; }
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
ok by-mode "$fd" train --data fields:n=512,k=1,var=1 --grid 32 --steps 150 --net fno:width=16,layers=2 -o p.safetensors --by-mode e.csv --png e.png
says '^wrote e.csv$' out; exists e.png; says '^t,wave,error,floor$' e.csv
awk -F, 'NR > 1 { e += $3; f += $4; if ($1 > 0.4 && $1 < 0.6 && $2 == 1) near = $3 / $4 }
     END { exit !(NR > 50 && e / f > 0.8 && e / f < 1.3 && near > 0.7 && near < 1.4) }' e.csv
report $? "errors far from their floor: $(grep linear out)"

for p in vp vp-cosine subvp ve:smax=9 ou driftless flow ddpm:T=20 flow-vp flow-vp:s=0 ladder:T=20 fdp heat heat-cosine \
    heat:unit=pixel,kappa=1 blur; do
    ok "train $p" "$fd" train --data fields:n=32 $small --steps 2 --process $p -o p.safetensors
    ok "sample $p" "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy
done
for s in "--start unit" "--start matched" "--corrector scaled:c=0.2,inner=2" "--corrector snr:at=begin" \
    "--corrector snr:band=2" "--corrector snr-grid" "--scheme annealed --corrector scaled:c=0.3" \
    "--churn 0.5"; do
    ok "sample $s" "$fd" sample --model m.safetensors $s --steps 4 -n 2 -o g2.npy && ! cmp -s g.npy g2.npy
    report $? "sample $s: the same"; mv g2.npy g.npy
done
bad 2 "expected noise, unit, matched" sample --model m.safetensors --start hot
bad 2 "scaled has no key 'x'; it has c, inner, at" sample --model m.safetensors --corrector scaled:x=1
bad 2 'annealed: needs a --corrector' sample --model m.safetensors --scheme annealed
for p in x0 noise score v velocity score-half score-full; do
    ok "train $p" "$fd" train --data fields:n=32 $small --steps 2 --predict $p -o p.safetensors
    ok "sample $p" "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy
done
for l in uniform log stratified lognormal:mean=-1,sd=1; do
    ok "train $l" "$fd" train --data fields:n=32 $small --steps 2 --time-law $l --precond none --weight v --predict v -o p.safetensors
done
# the norm of the loss: loss and gradient of the first steps, beside those of another way to the same
train2() { "$fd" train --data fields:n=32 $small --steps 2 --clip 0 --cov white:s=$1 --precond none --predict noise $2 --log l.csv -o p.safetensors >out 2>err || return 1
    awk -F, 'NR > 1 { printf "%.3g %.3g ", $2, $3 }' l.csv; }
h=$(train2 1 "--norm h"); [ -n "$h" ]; report $? "--norm h"
for n in sobolev:s=0 cm; do [ "$(train2 1 "--norm $n")" = "$h" ]; report $? "--norm $n is not h with lam = 1: $(train2 1 "--norm $n"), $h"; done
[ "$(train2 0.5 "--norm cm")" = "$(train2 0.5 "--norm h" | awk "{ for (i = 1; i <= NF; i++) printf \"%.3g \", 4 * \$i }")" ]
report $? "--norm cm is not 1/lam"
w=$(train2 1 "--process vp --weight likelihood"); [ "$(train2 1 "--process vp --norm likelihood")" = "$w" ]
report $? "--norm likelihood is not --weight likelihood with lam = 1"
[ "$(train2 0.5 "--norm sobolev:s=1")" != "$(train2 0.5 "--norm h")" ]; report $? "--norm sobolev does nothing"
for n in "h --time-law least --precond none" "likelihood --time-law least" "cm --weight noise" "stationary --process fdp" \
    "likelihood --process heat-cosine" "step --process ddpm:T=20,betas=cosine --time-law levels" \
    "step --process ladder:T=20 --time-law least" "h --process ladder:T=20 --time-law log" \
    "h --process ddpm:T=20 --time-law log"; do
    ok "train --norm $n" "$fd" train --data fields:n=32 $small --steps 2 --predict v --norm $n -o p.safetensors
done
ok least "$fd" train --data fields:n=32 $small --steps 2 --process driftless --norm likelihood --time-law least -o p.safetensors
says '^time law: the mean square of the loss of a pair is 1/[1-9]' out
for b in linear quadratic sigmoid cosine; do
    ok "betas $b" "$fd" train --data fields:n=32 $small --steps 2 --process ddpm:T=20,betas=$b --time-law levels -o p.safetensors
    ok "betas $b" "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy
done
bad 2 'levels is for --process ddpm and ladder' train --data fields --grid 8 --time-law levels
bad 2 'step is for --process ddpm and ladder' train --data fields --grid 8 --norm step
bad 2 'not with --predict score-half: --norm' train --data fields --grid 8 --predict score-half --weight noise
bad 2 '--norm likelihood has its own' train --data fields --grid 8 --norm likelihood --precond none --weight v
bad 2 'least goes by --norm alone' train --data fields --grid 8 --time-law least
for n in style=original time=channel time=none coords=none coords=closed,residual=1 act=silu,lift=-1,proj=16; do
    ok "train $n" "$fd" train --data fields:n=32 --grid 16x16 --batch 4 --net fno:width=8,layers=2,modes=4,$n --steps 2 -o p.safetensors
    ok "sample $n" "$fd" sample --model p.safetensors --grid 20x20 --steps 3 -n 2 -o g.npy
done
for n in vit vit:time=channel,coords=open uvit:layers=3 uvit:layers=3,pos=learned,act=silu \
    vit-field:latent=8 uvit-field:layers=1,field=gabor,mod=shift,latent=0,pool=2 fno-field:mod=weights,pixels=1,latent=8,modes=6 siren \
    siren:mod=weights,rates=learned,sees=coords,rate=0.001 gabor:mod=shift,inner=2,order=first,latent=8 siren:inner=0 \
    uno:width=4,levels=2 uno:width=4,levels=2,rank=0.2 unet:width=4,layers=1,levels=2,clock=random \
    fno-separable:width=8,layers=2 fno-separable:width=6,groups=3,layers=1,time=channel,modes=3 \
    uvit:width=9,heads=3,layers=1 points:width=8,layers=1,heads=2,latent=8 points:width=8,layers=1,latent=0,pixels=0,waves=3,time=channel; do
    ok "train $n" "$fd" train --data fields:n=32 --grid 16x16 --batch 4 --net $n --steps 2 -o p.safetensors
    ok "sample $n" "$fd" sample --model p.safetensors --grid 32x32 --steps 3 -n 2 -o g.npy
done
bad 2 '--net: .* multiple of the patch' train --data fields:n=32 --grid 18x18 --net uvit
ok 'patches' "$fd" train --data fields:n=32 --grid 8x8 --net vit:width=8,layers=1 --batch 4 --steps 1 -o p.safetensors
bad 2 '--grid: fd_patches: patch does not divide' sample --model p.safetensors --grid 10x8
bad 2 '--net: .* adapt' train --data fields:n=32 --grid 16x16 --net siren:mod=none
bad 2 '--net: .* groups must divide' train --data fields:n=32 --grid 16x16 --net fno-separable:groups=5
bad 2 '--net: .* heads must divide' train --data fields:n=32 --grid 16x16 --net points:heads=5
bad 2 "waves: '2.5': expected a whole number" train --data fields:n=32 --grid 16x16 --net points:waves=2.5
bad 2 '--net: .* must be odd' train --data fields:n=32 --grid 16x16 --net uvit:layers=4
ok 'empirical' "$fd" train --data fields:n=32 $small --cov empirical:floor=1e-3 --steps 2 -o p.safetensors
ok 'empirical' "$fd" sample --model p.safetensors --grid 20x20 --steps 3 -n 2 -o g.npy
ok '1-D' "$fd" train --data fields:n=32 --grid 24 --boundary dirichlet --net fno:width=8,layers=2,modes=6 --batch 4 --steps 2 -o p.safetensors
ok '1-D' "$fd" sample --model p.safetensors --grid 49 --steps 3 -n 2 -o g.npy --png g.png
ok '3-D, channels' "$fd" noise --grid 6x6x6 --channels 2 -n 9 -o d.npy
ok '3-D, channels' "$fd" train --data d.npy --channels 2 --net fno:width=4,layers=1,modes=4 --batch 3 --steps 2 -o p.safetensors
ok 'loglik, channels' "$fd" loglik --model p.safetensors --data d.npy -n 2 --scheme pf-heun --steps 2 --probes 1 && says '^2 functions, 250 dim' out
ok '3-D, channels' "$fd" sample --model p.safetensors --steps 3 -n 2 -o g.npy --png g.png && "$fd" info g.npy >out
says '^\(2, 2, 6, 6, 6\)' out

# ---- weights from elsewhere
data=$src/data
ok info "$fd" info "$data/fno2.safetensors" && says '^conv0.weights1 +\(3, 3, 3, 2, 2\)  min' out
says '^FNO, 2-D: in 1, out 1, width 3, layers 3, coordinates closed, modes 3x2, time a channel times 1, 725 weights$' out
ok info "$fd" info "$data/operator2.safetensors" && says '^neuraloperator 1 or later, 2-D: in 2, out 2, width 4, layers 2, ' out
ok info "$fd" info "$data/uvit.safetensors" && says '^U-ViT, but fd_net_from: heads must be given' out
ok info "$fd" info "$data/io.npz" && says '^fno1.y +\(2, 1, 13\)  min' out
ok convert "$fd" convert "$data/operator02.safetensors" -o from.safetensors && says '^wrote from.safetensors$' out
ok info "$fd" info from.safetensors && says '^net.layer2.spectral +\(4, 3, 3, 3, 2\)  min' out && says '^arch.acts +2$' out
ok convert "$fd" convert "$data/uvit.safetensors" --as uvit:heads=2 -o from.safetensors && says 'heads 2, patches 2x2, time a token times 999' out
ok 'convert, ffm' "$fd" convert "$data/operator03.npz" --as ffm --grid 6x8 --predict velocity --process flow -o from.safetensors
says 'in 1, out 1, .* coordinates closed, modes 4x4, time a channel times 0.001' out
ok 'sample, converted' "$fd" sample --model from.safetensors --steps 3 -n 2 -o g.npy && "$fd" info g.npy >out && says '^\(2, 6, 8\)  min' out
ok 'sample, converted' "$fd" sample --model from.safetensors --steps 3 -n 2 --grid 9x10 -o g.npy
ok 'convert, two channels' "$fd" convert "$data/uvit.safetensors" --as uvit:heads=2 --grid 6x6 -o from.safetensors
ok 'sample, converted' "$fd" sample --model from.safetensors --steps 3 -n 2 -o g.npy && "$fd" info g.npy >out && says '^\(2, 2, 6, 6\)  min' out
bad 1 'has no optimiser' train --data fields:n=32 --resume from.safetensors --steps 3 --out r.safetensors
ok 'convert to npz' "$fd" convert from.safetensors -o from.npz && "$fd" info from.npz >out && says '^net.norm.g +\(8\)' out
ok 'convert of npz' "$fd" convert "$data/fno1.npz" --as fno:act=tanh,tscale=1e-3 -o from.safetensors
ok 'norms, skips' "$fd" convert "$data/operator03mlp.safetensors" --as neuraloperator:norms=-1,skip=identity -o from.safetensors
bad 1 'missing tensor: fno_blocks.fno_skips.0.weight' convert "$data/operator03mlp.safetensors" -o x.safetensors
bad 2 'norms: .1.5.: expected a whole number' convert "$data/operator2norm.safetensors" --as neuraloperator:norms=1.5
bad 2 'needs a file' convert
bad 2 "needs a value" convert "$data/fno1.npz" --as
bad 2 'expected auto, fno, neuraloperator' convert "$data/fno1.npz" --as torch -o x.safetensors
bad 2 "fno has no key 'heads'" convert "$data/fno1.npz" --as fno:heads=2 -o x.safetensors
bad 2 'uvit: the names in .*fno1.npz are those of FNO' convert "$data/fno1.npz" --as uvit -o x.safetensors
bad 2 'cov: has no meaning without --grid' convert "$data/fno1.npz" --cov band -o x.safetensors
bad 2 'grid: 2 axes, but the network has 1' convert "$data/fno1.npz" --grid 8x8 -o x.safetensors
bad 2 'grid: no model: 2 channels in, 1 out' convert "$data/operator02.safetensors" --grid 8x8 -o x.safetensors
bad 2 'out: a network is a .safetensors' convert "$data/fno1.npz" --as fno -o x.npz
bad 1 'uvit.safetensors: .*heads must be given' convert "$data/uvit.safetensors" -o x.safetensors
bad 1 'heads must divide the width' convert "$data/uvit.safetensors" --as uvit:heads=3 -o x.safetensors
bad 1 'io.npz: no names of a network' convert "$data/io.npz" -o x.safetensors
bad 1 'missing.npz' convert missing.npz -o x.safetensors
bad 1 'too few inputs' convert "$data/fno3.safetensors" --as fno:time=channel -o x.safetensors
head -c 3000 "$data/uvit.safetensors" >cut.safetensors && bad 1 'cut.safetensors' convert cut.safetensors -o x.safetensors
head -c 3000 "$data/fno1.npz" >cut.npz && bad 1 'cut short: .*cut.npz' info cut.npz
bad 1 'unzip it' train --data "$data/io.npz"

# ---- certify: one law on every grid, or not, by its exit status
pass_() { ok "certify $*" "$fd" certify "$@" && says '^PASS: ' out; }
fail_() {
    "$fd" certify "$@" >out 2>err; s=$?
    [ $s = 1 ] && [ ! -s err ]; report $? "certify $*: status $s: $(head -n 1 err)"
    says '^FAIL: ' out; says 'FAIL$' out
}
pass_ --png cert.png --out cert.csv; exists cert.png cert.csv; says '^points,wave,noise,samples,data$' cert.csv
says '^samples: variance of modes +0 .* pass$' out; [ "$(grep -c 'pass$' out)" = 6 ]; report $? "not six checks"
for c in band rbf:l=0.1 exp power:alpha=0.7 white:kmax=8 ortho-power:ref=32 ortho-fdp:ref=32 ortho-hdm:ref=32; do
    pass_ --cov $c
done
for c in pixel-white ortho-power ortho-fdp ortho-hdm; do fail_ --cov $c; says '^samples: variance of modes +0 .*FAIL$' out; done
fail_ --cov pixel-white:ref=32; fail_ --cov white; says '^samples: variance of modes +0 .*pass$' out          # only its pixel variance grows
for p in vp-cosine subvp ve ou driftless flow ddpm flow-vp ladder fdp heat heat-cosine blur; do pass_ --process $p; done
for p in heat heat-cosine; do fail_ --process $p:unit=pixel,kappa=1; done
for c in euler-maruyama pf-heun pf-rk4 ancestral-optimal stochastic-heun pf-multistep pf-adaptive 'annealed --corrector scaled:c=0.3'; do
    pass_ --scheme $c
done
for s in unit matched; do pass_ --start $s; done
for c in 'pf-multistep --corrector scaled' 'pf-adaptive --corrector scaled' 'pf-heun --corrector ladder:c=1e-9,at=begin'; do
    pass_ --scheme $c
done
pass_ --grid 12x10 --boundary neumann --steps 20
pass_ --grid 17 --boundary dirichlet --cov bridge --target bridge
# every pair of boundaries: spectra are compared on shells that are whole; a law that changes with the grid is seen in each
for b in periodic neumann dirichlet mixed; do
    for c in periodic neumann dirichlet mixed; do
        pass_ --cov matern:nu=1.5,l=0.2 --grid 9x8 --boundary $b,$c --steps 6
        fail_ --cov pixel-white:ref=0 --grid 9x8 --boundary $b,$c --steps 6
        says '^  spectrum +0 .*FAIL$' out
    done
done
# the SNR corrector: its step depends on the function, so by samples of one seed; the released norms are no law on functions
pass_ --corrector snr --grid 8 --cov exp:l=0.1 --scheme euler-maruyama; says '^a step of this corrector depends on the function: by 64 samples' out
pass_ --corrector snr:at=begin,inner=2 --grid 8x9 -n 16 --steps 12 --boundary neumann,periodic
fail_ --corrector snr-grid --grid 8 --cov exp:l=0.1 --scheme euler-maruyama; says '^  restricted, same seed .*FAIL$' out
fail_ --corrector snr-grid --grid 8 -n 16
pass_ --churn 0.5 --corrector scaled --scheme stochastic-heun
pass_ --cov matern:nu=1.5,l=0.2 --grid 5x4x6 --boundary neumann,periodic,mixed --steps 6
ok 'train for certify' "$fd" train --data fields:n=256 --grid 32 --steps 120 --cov matern --net fno:width=8,layers=2 -o p.safetensors
pass_ --model p.safetensors --steps 20 -n 32; says '^model p.safetensors, 32 samples' out
ok 'train for certify' "$fd" train --data fields:n=256 --grid 32 --steps 120 --cov pixel-white --net fno:width=8,layers=2 -o p.safetensors
fail_ --model p.safetensors --steps 20 -n 32; says '^samples: variance of modes +0 .*FAIL$' out
fail_ --tol 1e-18 --grid 8
# the law of the samples and that of the data: figures of fault F31, words, and a limit of one's own
law() { "$fd" certify --process vp-cosine --cov band --grid 24 --target matern:nu=2.5,l=0.3 "$@" >out 2>err; s=$?; }
waves() { # waves LINE W=VALUE...: of the table of certify, to 2 %
    awk -v line="$1" -v want="$2" '$1 == "wave" { for (i = 2; i <= NF; i++) at[$i] = i }
        $1 == line && NF > 7 && !n { n = split(want, w, " "); for (i = 1; i <= n; i++) { split(w[i], p, "=")
            d = $(at[p[1]]) / p[2] - 1; if (!(p[1] in at) || d > 0.02 || d < -0.02) bad = bad " " p[1] } }
        END { if (!n || bad) { print bad; exit 1 } }' out >x
    report $? "law of $3: waves $(cat x): $(grep '^samples  ' out)"
}
law --scheme ddim --times uniform; waves samples '1=0.944 11=0.057' 'ddim uniform'; [ $s = 0 ]; report $? "certify, a law that is not the data's: status $s"
says '^the sampler loses energy in waves 4 to 11: 0.057 of the data.s at wave 11$' out; says '^PASS' out
law --scheme ddim --times rho; waves samples '1=0.9 8=0.806 11=0.775' 'ddim rho'
law --scheme pf-heun --times uniform; waves samples '1=1 11=92.3' 'pf-heun uniform'
says '^the sampler loses energy in wave 9: 0.0101 of the data.s$' out; says '^the sampler adds energy in waves 7 to 11: 92.3 ' out
law --scheme pf-heun --times logsnr; waves samples '1=0.996 11=0.949' 'pf-heun logsnr'
law; waves samples '0=1 1=1 2=1 11=1' 'the default'; grep -q 'energy' out; [ $? = 1 ]; report $? "the default sampler: $(grep energy out)"
law --law 0.1; [ $s = 0 ]; report $? "--law 0.1, the default: status $s"
law --law 0.1 --scheme ddim --times uniform; [ $s = 1 ]; report $? "--law 0.1, ddim uniform: status $s"
says '^FAIL: not the law of the data: a wave differs by 0.943, more than --law 0.1$' out
law --process vp --target rbf:l=0.2 --cov white:s=1,kmax=11
says 'the sampler loses energy in waves .*, where the last time leaves' out
# what every process does by default has the law that the last time allows, in every wave
for p in vp vp-cosine subvp ve ou driftless flow ddpm flow-vp ladder fdp heat heat-cosine blur; do
    law --process $p --cov exp:l=0.1 --target matern:nu=2.5,l=0.2; [ $s = 0 ]; report $? "the default of $p: status $s: $(head -n 1 err)"
    awk '$1 == "samples" && NF > 7 { for (i = 2; i <= NF; i++) v[i] = $i }
         /^exact law at/ { n = NF - 6; for (i = 2; i <= n + 1; i++) { r = v[i] / $(i + 5); if (r > 1.025 || r < 0.985) bad++ } }
         END { exit bad || n < 7 }' out
    report $? "the default of $p: $(grep -E '^(samples  |exact law)' out)"
    says '^50 steps of pf-multistep at logsnr times, start (noise|matched)$' out
    "$fd" help process >help; sed -n "/^  $p  /,/sampled by/p" help >x
    says "sampled by $(grep '^50 steps' out)" x
done
ok 'start of certify' "$fd" certify && says '^N.0, v C. at the last time: m there is 0.00657 at most' out
bad 2 '--cov: comes from the model' certify --model p.safetensors --cov rbf
bad 2 'a law on functions' certify --target pixel-white
bad 2 'a law on functions' certify --target white
bad 2 'empirical needs a model' certify --cov empirical
bad 2 'needs 3 points' certify --grid 2
bad 1 'm = 1' certify --scheme ve-predictor
bad 1 'missing.safetensors' certify --model missing.safetensors
bad 2 'this noise has no variance' certify --cov white:s=0
bad 2 'above 0: --process flow:tmin=' certify --times geometric --process flow
bad 2 'above 0: --process flow:tmin=' orders --times geometric --process flow
"$fd" certify --grid 3x3x3 >out; says 'FAIL: a pixel variance that does not converge: .* too coarse' out
bad 2 'ladder needs v1 < vT' certify --process ladder:v1=9,vT=3
bad 2 'blur needs w0 <= w1' certify --process blur:w0=9

# ---- orders: near those that theory says
ok orders "$fd" orders --png order.png --out order.csv; exists order.png order.csv
says '^scheme,steps,evaluations,error$' order.csv; says '^ve-predictor +fd_advance: this scheme is for m = 1$' out
says '^ancestral-optimal .* exact$' out
while read -r c from to; do
    awk -v c="$c" -v a="$from" -v b="$to" '$1 == c { exit !($NF >= a && $NF <= b) } END { if (!NR) exit 1 }' out
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
ok orders "$fd" orders --process driftless:tmin=0.01 --steps 64; says '^euler-maruyama .* (0.9|1.0)' out
bad 2 'empirical needs data' orders --target empirical
bad 2 '--steps: ' orders --steps 4

# ---- loglik: the flow from the matched start has the density in closed form; near t = 0 so has the bound
agree() {              # of COLUMN OTHER TOLERANCE: in every row of l.csv
    awk -F, -v a="$1" -v b="$2" -v t="$3" 'NR > 1 { d = $a - $b; if (!(d < t && d > -t)) bad++ } END { exit bad || NR < 2 }' l.csv
    report $? "columns $1 and $2 of l.csv differ: $(tail -n 1 l.csv)"
}
ok loglik "$fd" loglik -n 5 --process vp-cosine --start matched -o l.csv
says '^5 functions, 31 dimensions, t = 1e-05 .bound: 0.; pf-adaptive, exact trace$' out; says '^wrote l.csv$' out
says '^function,log_density,over_noise,bits,bound,gaussian$' l.csv; agree 2 6 0.05; agree 5 6 0.05
awk -F, 'NR > 1 { b = -($2 / 31 - 0.5 * log(32)) / log(2); if (!((b - $4) ^ 2 < 1e-6 && $3 < $2 - 40)) bad++ } END { exit bad || NR != 6 }' l.csv
report $? "bits of l.csv: $(tail -n 1 l.csv)"
ok 'loglik, a file' "$fd" noise --cov matern:nu=2.5,l=0.3 --grid 32 -n 9 -o c.npy
ok 'loglik, a file' "$fd" loglik --data c.npy -n 5 --batch 2 --process vp-cosine --start matched -o k.csv && same l.csv k.csv
ok 'loglik, no match' "$fd" loglik -n 5 --process driftless -o l.csv && awk -F, 'NR == 2 { exit !($2 - $6 > 0.3) }' l.csv
report $? "the start of driftless makes no difference"
for p in vp subvp ve ou driftless flow ddpm flow-vp ladder fdp heat heat-cosine blur; do
    ok "loglik $p" "$fd" loglik -n 2 --process $p --start matched -o l.csv && agree 2 6 0.1
done
ok 'loglik, probes' "$fd" loglik -n 5 --probes 200 -o l.csv && agree 2 6 4
ok 'loglik, 2-D' "$fd" loglik --grid 8x9 --boundary neumann,periodic -n 2 --start matched --scheme pf-rk4 -o l.csv && agree 2 6 0.1
ok 'train for loglik' "$fd" train --data fields:n=512,k=1,var=1 --grid 32 --steps 150 --net fno:width=16,layers=2 -o p.safetensors
ok 'loglik, model' "$fd" loglik --model p.safetensors --data fields:n=64,k=1,var=1 -n 64 -o l.csv && says '8 probes of the trace$' out
awk '/^mean/ { exit !($2 > $6 - 12 && $2 < $6 + 6 && $5 > $6 - 12 && $5 < $6 + 6) }' out; report $? "density by a network: $(grep mean out)"
ok 'loglik, samples' "$fd" sample --model p.safetensors -n 2 --raw -o g.npy
ok 'loglik, samples' "$fd" loglik --model p.safetensors --data g.npy --raw --grid 40 && says '^2 functions, 31 dimensions' out
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
ok 'train for loglik' "$fd" train --data fields:n=32 $small --steps 2 --predict score-half -o p.safetensors
bad 1 'no density from a network that says score-half' loglik --model p.safetensors --data fields

# bytes are scaled, and scaled back
{ printf '\000\000\010\003\000\000\000\100\000\000\000\010\000\000\000\010'; head -c 4096 "$src/tool.sh"; } >b.idx
ok bytes "$fd" train --data b.idx --net fno:width=8,layers=1,modes=4 --batch 8 --steps 2 -o p.safetensors
"$fd" info p.safetensors >out; says '^kit.shift +-1$' out
ok bytes "$fd" sample --model p.safetensors --steps 9 -n 4 -o g.npy --png g.png
"$fd" info g.npy | awk '{ for (i = 1; i < NF; i++) if ($i == "mean") exit !($(i + 1) > 40 && $(i + 1) < 130) }'
report $? "samples of bytes: $("$fd" info g.npy)"
ok 'bits of bytes' "$fd" loglik --model p.safetensors --data b.idx -n 2 --scheme pf-heun --steps 4 --probes 1 -o l.csv
awk -F, 'NR > 1 { b = -($2 / 49 - 0.5 * log(64) + log(2 / 255)) / log(2); if (!((b - $4) ^ 2 < 1e-6)) bad++ } END { exit bad || NR != 3 }' l.csv
report $? "bits of bytes: $(tail -n 1 l.csv)"
ok limit "$fd" train --data b.idx --limit 20 --grid 6x6 --net fno:width=8,layers=1,modes=4 --batch 8 --steps 2 -o p.safetensors
says '^20 functions on \(6, 6\)' out

# ---- going on: 3 steps and 3 more are 6
flat="--lr 1e-3 --lr-end 1e-3"
ok 6 "$fd" train --data fields:n=64 $small $flat --steps 6 -o a.safetensors
ok 3 "$fd" train --data fields:n=64 $small $flat --steps 3 -o b.safetensors
ok 3+3 "$fd" train --data fields:n=64 --resume b.safetensors --steps 6 -o b.safetensors && same a.safetensors b.safetensors
for n in uvit:layers=1,width=16 fno-field:width=8,layers=1,modes=4,latent=4 siren:width=8,layers=1 \
    uno:width=4,levels=2,rank=0.3 unet:width=4,levels=2,layers=1 fno-separable:width=8,layers=1 points:width=8,layers=1; do
    case $n in u*) r=adabelief ;; f*) r=amsgrad:b1=0.8 ;; *) r=adamw:b2=0.95 ;; esac
    some="--grid 16x16 --net $n --batch 4 --optimizer $r --clip-each 0.1 --flip last --norm sobolev --accumulate 2 $flat"
    ok "6 $n" "$fd" train --data fields:n=64 $some --steps 6 -o q.safetensors --log a.csv
    ok "3 $n" "$fd" train --data fields:n=64 $some --steps 3 -o r.safetensors
    ok "3+3 $n" "$fd" train --data fields:n=64 --resume r.safetensors --steps 6 -o r.safetensors && same q.safetensors r.safetensors
    ok "again $n" "$fd" train --data fields:n=64 $some --steps 6 -o r.safetensors --log b.csv && same q.safetensors r.safetensors
    cut -d, -f1-4 a.csv >x && cut -d, -f1-4 b.csv >y && same x y       # the same curve, but for the seconds
done
bad 2 '--accumulate: 3 does not divide' train --data fields:n=64 $small --accumulate 3
bad 2 '--optimizer: comes from the model' train --data fields --resume r.safetensors --optimizer adamw
bad 2 "--optimizer: 'sgd': expected adamw, amsgrad, adabelief" train --data fields --optimizer sgd
for r in "--flip all" "--optimizer amsgrad" "--optimizer adabelief" "--clip-each 1e-5" "--accumulate 4"; do
    ok "train $r" "$fd" train --data fields:n=64 $small $flat $r --steps 3 -o r.safetensors --log b.csv
    tail -n 1 b.csv | cut -d, -f2 >>curves
done
# amsgrad is Adam while v grows, four parts have the gradient of the whole: these two may agree
[ "$(sort -u curves | wc -l)" -ge 4 ]; report $? "flags of training change nothing: $(cat curves)"
bad 2 '--cov: comes from the model' train --data fields --resume b.safetensors --cov rbf
bad 2 'has taken 6 already' train --data fields --resume b.safetensors
bad 1 'noise.npy' train --data fields --resume noise.npy
size=$(wc -c <b.safetensors)
for n in 0 7 8 100 $((size / 2)) $((size - 1)); do
    head -c $n b.safetensors >cut.safetensors; bad 1 'cut.safetensors' sample --model cut.safetensors
done

# ---- stopped and killed runs
long="--data fields:n=64 $small --steps 1000000 --save-every 1 -o k.safetensors"
running() { i=0; while [ ! -s k.safetensors ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done; sleep 0.2; }
for sig in INT TERM; do
    rm -f k.safetensors; "$fd" train $long >out 2>err & pid=$!
    running; kill -$sig $pid; wait $pid; s=$?
    [ $s = 130 ] || [ $s = 143 ]; report $? "SIG$sig: status $s"
    says '^fd: stopped at step [0-9]+; --resume k.safetensors goes on$' err; says '^wrote k.safetensors$' out
    at=$(sed -n 's/^fd: stopped at step \([0-9]*\).*/\1/p' err)
    ok "after SIG$sig" "$fd" sample --model k.safetensors --steps 3 -n 2 -o g.npy
done
ok 'go on' "$fd" train --data fields:n=64 --resume k.safetensors --steps $((at + 2)) -o k.safetensors && says "^step $((at + 2))," out
for i in 1 2 3; do
    rm -f k.safetensors*; "$fd" train $long >out 2>err & pid=$!
    running; kill -KILL $pid; wait $pid 2>/dev/null
    ok 'after SIGKILL' "$fd" sample --model k.safetensors --steps 3 -n 2 -o g.npy
done
(ulimit -f 16; "$fd" train --data fields:n=64 $small --steps 3 -o f.safetensors) >out 2>err
[ $? = 1 ]; report $? "train, ulimit -f: status"; [ ! -e f.safetensors ]; report $? "train, ulimit -f: a torn model"
ok budget "$fd" train --data fields:n=64 $small --budget 0.5 -o g.safetensors

# ---- the thesis's tables, on 660 images of 8x8: all rows, and again from its files
"$fd" noise --grid 8x8 -n 660 -o t.npy >/dev/null
{ printf '\000\000\010\001\000\000\002\224'; i=0; while [ $i -lt 66 ]; do printf '\000\001\002\003\004\005\006\007\010\011'; i=$((i + 1)); done; } >t.idx
tiny="--data t.npy --labels t.idx --outdir thesis --train 1 --steps 4 --batch 2 -n 40 --seed 3"
ok thesis "$B/thesis" $tiny; says '^5.2 +R = I, T = 100 ' out; says '^wrote thesis/thesis.csv$' out
exists thesis/thesis.png thesis/mod-white.safetensors thesis/R-10-more.npy
[ "$(wc -l <thesis/thesis.csv)" = 21 ]; report $? "thesis.csv has not 21 lines"
sed 's/^wrote.*//' out | grep . >first; ok 'thesis, again' "$B/thesis" $tiny; grep -v '^wrote' out | grep . >x && same first x
for n in fno fno-original uno unet fno-separable points vit uvit vit-field uvit-field fno-field siren \
    gabor; do
    ok "train $n" sh -c 'mkdir -p nets && cd nets && "$0" "$1" 1 8' "$B/train" $n && says '^128 points, network' out
done
for a in cnn 'fno x' 'fno 0' 'fno 5 1' 'fno 5 2 3'; do
    "$B/train" $a >out 2>err; [ $? = 2 ]; report $? "train $a"; says '^usage: train .* fno ' err
done

# ---- the study of choices of C: its own check, its files
ok choice "$B/choice" --outdir choice && says 'white noise: pass$' out; exists choice/choice.png choice/choice.csv

cd / && rm -rf "$D"
echo "$pass passed, $fail failed"
[ $fail = 0 ]
