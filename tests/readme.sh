#!/bin/sh
# readme.sh: run README's commands exactly as printed, in their order; each must end with status 0.
# Indented lines that begin with make, mkdir, gcc, build/ or out/ are commands. Before them README's
# C program is put where README says that it is saved; after them its file of samples must be there.
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
pass=0 fail=0
report() {
    if [ "$1" = 0 ]; then pass=$((pass + 1)); else fail=$((fail + 1)); echo "readme: failed: $2"; fi
}
grep -E '^    (make|mkdir|gcc|build/|out/)' README.md |
    sed 's/^    //; s/[[:space:]]*#.*//' >"$t/commands"
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

# weights.md's Python, on what torch.save writes: the network must be that of the plain file
cat >"$t/save.py" <<'END'
import numpy, sys, torch
w = {k: torch.from_numpy(v) for k, v in numpy.load("tests/data/fno1.npz").items()}
as_is = {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in w.items()}
half = {k: v.to(torch.bfloat16) if v.dtype == torch.float32 else v for k, v in w.items()}
few = {"step": torch.tensor(3), "rate": 0.1, "moments": [torch.zeros(2)]}
rounded = {k: v.float() if v.dtype == torch.bfloat16 else v for k, v in half.items()}
numpy.savez(sys.argv[1] + "/rounded.npz", **{k: v.numpy() for k, v in rounded.items()})
nested = {"optimizer": few, "model": as_is, "epoch": 3}
for name, x in dict(plain=w, parameters=as_is, nested=nested,
                    two={"model": few, "ema": {"shadow": w}}, bf16={"model": half},
                    bare=torch.nn.Parameter(torch.ones(2, 3))).items():
    torch.save(x, f"{sys.argv[1]}/{name}.pt")
END
python=$(for p in python3 /usr/bin/python3; do
    $p -c 'import numpy, torch' 2>/dev/null && echo $p && break
done)
if [ -n "$python" ]; then
    sed -n '/^```python$/,/^```$/p' examples/tool/weights.md | sed '/^```/d' >"$t/to_npz.py"
    "$python" "$t/save.py" "$t" && cp tests/data/fno1.npz "$t/whole.npz"
    for n in plain parameters nested two bf16 bare; do
        like=whole; [ $n = bf16 ] && like=rounded
        "$python" "$t/to_npz.py" "$t/$n.pt" "$t/$n.npz" --trust >"$t/log" 2>&1
        report $? "to_npz.py $n.pt: $(tail -n 1 "$t/log")"
        if [ $n = bare ]; then
            build/fd info "$t/bare.npz" | grep -q '2, 3\|2x3'; report $? "to_npz.py bare.pt"
            continue
        fi
        for f in $n $like; do
            build/fd convert "$t/$f.npz" -o "$t/$f.safetensors" >"$t/log" 2>&1
        done
        cmp -s "$t/$n.safetensors" "$t/$like.safetensors"
        report $? "weights of $n.pt: $(cat "$t/log")"
    done
else echo "skipped: PyTorch's files: no python3-torch"
fi
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
