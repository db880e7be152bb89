"""client.py IN.npz OUT.npz: a program under test for fd conform, which knows five groups.

    build/fd conform --cmd 'python3 examples/tool/client.py {in} {out}'

Put your own library in place of numpy: read the arrays, compute, save arrays of the same names.
Status 77 says that a case is not known; any other status but 0 refuses it."""
import json, sys
import numpy as np

with open(sys.argv[1][:-4] + ".json") as f:
    case = json.load(f)
with np.load(sys.argv[1]) as f:
    a = {k: f[k].astype(float) for k in f.files}
p = case["params"]


def transforms():
    x, kind = a["x"], p["transform"]
    if kind == "dft":
        z = x[:, 0] + 1j * x[:, 1]
        y = p["scale"] * (np.fft.fft(z) if p["sign"] < 0 else np.fft.ifft(z) * len(z))
    elif kind == "rfft": y = np.fft.rfftn(x)
    elif kind == "irfft": return {"y": np.fft.irfftn(x[..., 0] + 1j * x[..., 1], p["n"])}
    else: sys.exit(77)
    return {"y": np.stack([y.real, y.imag], -1)}


def convolutions():                     # y = irfftn(R rfftn(x)) over the modes lo..hi
    if p["want"] != "convolution": sys.exit(77)
    n, w = p["n"], a["w"][..., 0] + 1j * a["w"][..., 1]
    axes = list(range(len(n)))
    bins = np.ix_(*[np.arange(l, h + 1) % m for l, h, m in zip(p["lo"], p["hi"], n)])
    xhat = np.fft.rfftn(a["x"], axes=axes)
    yhat = np.zeros(xhat.shape[:-1] + w.shape[-1:], complex)
    yhat[bins] = np.einsum("...i,...io->...o", xhat[bins], w)
    return {"y": np.fft.irfftn(yhat, n, axes=axes)}


def attention():
    heads, weight = int(p["heads"]), a.get("weight", 1)
    q, k, v = (np.stack(np.split(a[name], heads, 1)) for name in "qkv")
    P = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])) * weight
    return {"y": np.concatenate(list(P / P.sum(2, keepdims=True) @ v), 1)}


def langevin():                         # C g is an integral: the kernel's matrix times 1/n
    if p["want"] != "langevin": sys.exit(77)
    Cg = a["kernel"] @ a["g"] / len(a["g"])
    return {"y": a["x"] + p["h"] * (a["s"] - Cg) + np.sqrt(2 * p["h"]) * a["xi"]}


def posteriors():
    if p["want"] != "gradient": sys.exit(77)
    i = a["index"].astype(int)
    return {"g": a["kernel"][:, i] @ (a["x"][i] - a["y"]) / p["sd"] ** 2}


known = {f.__name__: f for f in (transforms, convolutions, attention, langevin, posteriors)}
np.savez(sys.argv[2], **known.get(case["group"], lambda: sys.exit(77))())
