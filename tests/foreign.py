#!/usr/bin/python3
"""foreign.py FOLDER: small networks as PyTorch programs have them, and what they answer (Debian: python3-torch).

Writes one file of weights for each network, with the names and layouts of the program that it stands for, and
io.npz with inputs and outputs, which tests/test_foreign.c compares with the converted network's. Weights and
inputs are float, arithmetic is double. The layers are defined here after the published conventions:
FNO [Li et al.] as in its first release, neuraloperator 0.2, 0.3, 1 and 2, U-ViT [Bao et al.]."""
import json, math, sys
import numpy as np, torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(2385)
io = {}


def draw(*shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype("f4")


def cdraw(*shape, scale=1.0):
    return draw(*shape, scale=scale) + 1j * draw(*shape, scale=scale)


def dense(w, name, out, inp, *ones, bias=True):
    w[name + ".weight"] = draw(out, inp, *ones, scale=inp ** -0.5)
    if bias:
        w[name + ".bias"] = draw(out, scale=0.3)


def load(w):
    return {k: torch.tensor(v.astype("c16" if np.iscomplexobj(v) else "f8")) for k, v in w.items()}


def pointwise(p, name, x):
    """a 1x1 convolution or Linear on x [b][ch][grid..]"""
    m = p[name + ".weight"]
    y = torch.einsum("oi,bi...->bo...", m.reshape(m.shape[0], m.shape[1]), x)
    b = p.get(name + ".bias")
    return y if b is None else y + b.reshape(1, -1, *[1] * (x.ndim - 2))


def mix(r, u):
    """R [in][out][k..] or, separable, [ch][k..]"""
    return r * u if r.ndim == u.ndim - 1 else torch.einsum("bi...,io...->bo...", u, r)


def coordinates(b, grid, closed, last_first=False):
    x = [torch.arange(n) / (n - 1 if closed else n) for n in grid]
    g = torch.stack(torch.meshgrid(*x, indexing="ij"))
    return (g.flip(0) if last_first else g).expand(b, *g.shape)


def clock(t, like):
    return t.reshape(-1, 1, *[1] * (like.ndim - 2)).expand(like.shape[0], 1, *like.shape[2:])


# ---- FNO, first release: blocks of modes k >= 0 and k < 0


def fno_weights(nd, width, modes, layers, inputs, out, proj):
    w = {}
    dense(w, "fc0", width, inputs)
    for l in range(layers):
        for j in range(2 ** (nd - 1)):
            w[f"conv{l}.weights{j + 1}"] = cdraw(width, width, *modes, scale=1 / width)
        dense(w, f"w{l}", width, width, *[1] * nd)
    dense(w, "fc1", proj, width)
    dense(w, "fc2", out, proj)
    return w


def corner_blocks(u, modes, weights, sign):
    out = torch.zeros_like(u)
    for j, r in enumerate(weights):
        at = [slice(-m, None) if sign(j, a) else slice(None, m) for a, m in enumerate(modes[:-1])]
        at = (slice(None), slice(None), *at, slice(None, modes[-1]))
        out[at] = mix(r, u[at])
    return out


def fno(w, x, t, layers, modes, act=F.gelu, pad=0):
    p, grid = load(w), x.shape[2:]
    dims = tuple(range(2, x.ndim))
    h = [x, coordinates(x.shape[0], grid, True)] + ([] if t is None else [clock(t, x)])
    h = F.pad(pointwise(p, "fc0", torch.cat(h, 1)), [0, pad] * len(grid))
    for l in range(layers):
        blocks = [p[f"conv{l}.weights{j + 1}"] for j in range(2 ** (len(grid) - 1))]
        u = corner_blocks(torch.fft.rfftn(h, dim=dims), modes, blocks, lambda j, a: j >> a & 1)
        h = torch.fft.irfftn(u, s=h.shape[2:], dim=dims) + pointwise(p, f"w{l}", h)
        if l < layers - 1:
            h = act(h)
    h = h[(slice(None), slice(None), *[slice(0, n) for n in grid])]
    return pointwise(p, "fc2", act(pointwise(p, "fc1", h)))


# ---- neuraloperator


def mlp(p, name, x, act=F.gelu):
    n = 0
    while f"{name}.fcs.{n}.weight" in p:
        x = pointwise(p, f"{name}.fcs.{n}", act(x) if n else x)
        n += 1
    return x


def centred(u, r, dims, version):
    """modes around 0 of the first axes, from 0 of the last"""
    kept, out = r.shape[-len(dims):], torch.zeros_like(u)
    at = [slice(None), slice(None)]
    if len(dims) > 1:
        u, out = torch.fft.fftshift(u, dim=dims[:-1]), torch.fft.fftshift(out, dim=dims[:-1])
    for n, m in zip(u.shape[2:-1], kept[:-1]):
        first = (n - m) // 2 if version < 2 else n // 2 - m // 2
        at.append(slice(first, first + m))
    at = (*at, slice(None, kept[-1]))
    out[at] = mix(r, u[at])
    return torch.fft.ifftshift(out, dim=dims[:-1]) if len(dims) > 1 else out


def operator_weights(version, nd, width, modes, layers, inputs, out, lift, proj, expand=0, soft=False, separable=False,
                     skip=True, linear=False, norm=False):
    w, half = {}, version == 0.2
    ones = [1] if version >= 1 else [1] * nd
    names = ["projection.fc1", "projection.fc2"] if half else ["projection.fcs.0", "projection.fcs.1"]
    if half:
        dense(w, "lifting.fc", width, inputs, *ones)
    else:
        dense(w, "lifting.fcs.0", lift, inputs, *ones)
        dense(w, "lifting.fcs.1", width, lift, *ones)
    bias = draw(layers, width, *[1] * nd, scale=0.3)
    if version < 1:
        w["fno_blocks.convs.bias"] = bias
    k = [m // 2 for m in modes] if half else [*modes[:-1], modes[-1] // 2 + 1]
    for l in range(layers):
        c = [width] if separable else [width, width]
        for j in range(2 ** (nd - 1) if half else 1):
            r = cdraw(*c, *k, scale=1 / width)
            if version < 1:
                i = l * 2 ** (nd - 1) + j if half else l
                w[f"fno_blocks.convs.weight.{i}.tensor"] = np.stack([r.real, r.imag], -1)
            else:
                w[f"fno_blocks.convs.{l}.weight.tensor"] = r
                w[f"fno_blocks.convs.{l}.bias"] = bias[l]
        if soft:
            w[f"fno_blocks.fno_skips.{l}.weight"] = draw(1, width, *[1] * nd)
        elif skip:
            dense(w, f"fno_blocks.fno_skips.{l}" + (".conv" if version >= 1 else ""), width, width, *ones, bias=False)
        if expand:
            m = "fno_blocks.channel_mlp" if version >= 1 else "fno_blocks.mlp"
            dense(w, f"{m}.{l}.fcs.0", expand, width, *ones)
            dense(w, f"{m}.{l}.fcs.1", width, expand, *ones)
            if linear:
                dense(w, f"{m}_skips.{l}" + (".conv" if version >= 1 else ""), width, width, *ones, bias=False)
            else:
                w[f"{m}_skips.{l}.weight"] = draw(1, width, *[1] * nd)
        for q in range(2 * l, 2 * l + 2) if norm else ():
            w[f"fno_blocks.norm.{q}.weight"], w[f"fno_blocks.norm.{q}.bias"] = 1 + draw(width, scale=0.3), draw(width)
    dense(w, names[0], proj, width, *ones)
    dense(w, names[1], out, proj, *ones)
    return w


def factorise(w, cp):
    """spectral weights that are a Tucker or CP tensor: whole, and as factors (real pairs below 1.0)"""
    whole, parts = dict(w), dict(w)
    for k in [k for k in w if k.endswith(".tensor")]:
        pairs = not np.iscomplexobj(w[k])
        n = w[k].shape[:-1] if pairs else w[k].shape
        r = [3] * len(n) if cp else [max(1, m - 1) for m in n]
        u = [cdraw(m, q, scale=0.7) for m, q in zip(n, r)]
        core = cdraw(3) if cp else cdraw(*r, scale=0.3)
        t = torch.diag_embed(torch.tensor(core.astype("c16"))) if cp else torch.tensor(core.astype("c16"))
        for _ in range(len(n) - 2 if cp else 0):
            t = torch.diag_embed(t)
        for i, f in enumerate(u):
            t = torch.movedim(torch.tensordot(torch.tensor(f.astype("c16")), t, ([1], [i])), 0, i)
        t = t.numpy()
        del parts[k]
        base = k[:-len(".tensor")]
        new = {base + (".weights" if cp else ".core"): core, **{f"{base}.factors.factor_{i}": f for i, f in enumerate(u)}}
        for q, v in new.items():
            parts[q] = np.stack([v.real, v.imag], -1) if pairs else v
        whole[k] = np.stack([t.real, t.imag], -1) if pairs else t
    return whole, parts


def skipped(p, name, h):
    """by a matrix, by one number a channel, or not at all"""
    if name + ".conv.weight" in p:
        return pointwise(p, name + ".conv", h)
    if name + ".weight" not in p:
        return h
    gate = p[name + ".weight"]
    return gate * h if gate.shape[0] == 1 else pointwise(p, name, h)


def operator(w, x, version, layers, modes, act=F.gelu, pad=0, groups=0):
    p, grid, half = load(w), x.shape[2:], version == 0.2
    norm = lambda k, y: F.group_norm(y, groups, p.get(f"fno_blocks.norm.{k}.weight"), p.get(f"fno_blocks.norm.{k}.bias"))
    dims = tuple(range(2, x.ndim))
    if version >= 1:
        x = torch.cat([x, coordinates(x.shape[0], grid, False)], 1)
    h = pointwise(p, "lifting.fc", x) if half else mlp(p, "lifting", x, act)
    padding = [round(pad * n) for n in grid]
    h = F.pad(h, [i for n in padding[::-1] for i in (n, n)])
    for l in range(layers):
        u = torch.fft.rfftn(h, dim=dims, norm="forward")
        if half:
            n = 2 ** (len(grid) - 1)
            blocks = [torch.view_as_complex(p[f"fno_blocks.convs.weight.{l * n + j}.tensor"]) for j in range(n)]
            u = corner_blocks(u, [m // 2 for m in modes], blocks, lambda j, a: j >> (len(grid) - 2 - a) & 1)
        elif version < 1:
            u = centred(u, torch.view_as_complex(p[f"fno_blocks.convs.weight.{l}.tensor"]), dims, version)
        else:
            u = centred(u, p[f"fno_blocks.convs.{l}.weight.tensor"], dims, version)
        bias = p["fno_blocks.convs.bias"][l] if version < 1 else p[f"fno_blocks.convs.{l}.bias"]
        y = torch.fft.irfftn(u, s=h.shape[2:], dim=dims, norm="forward") + bias
        m = "fno_blocks.channel_mlp" if version >= 1 else "fno_blocks.mlp"
        channels = f"{m}.{l}.fcs.0.weight" in p
        y = norm(2 * l if channels else l, y) if groups else y
        y = y + skipped(p, f"fno_blocks.fno_skips.{l}", h)
        last = l == layers - 1
        if (l < layers - l) if half else not last or (channels and version < 1):
            y = act(y)
        if channels:
            y = mlp(p, f"{m}.{l}", y) + skipped(p, f"{m}_skips.{l}", h)
            y = norm(2 * l + 1, y) if groups else y
        if (channels or version >= 2) and not last:
            y = act(y)                                # without an MLP, too: a second time, as released
        h = y
    h = h[(slice(None), slice(None), *[slice(q, q + n) for q, n in zip(padding, grid)])]
    if half:
        return pointwise(p, "projection.fc2", act(pointwise(p, "projection.fc1", h)))
    return mlp(p, "projection", h, act)


# ---- U-ViT


def uvit_weights(size, patch, ch, dim, depth, hidden, time_mlp, conv, qkv_bias):
    w = {}
    dense(w, "patch_embed.proj", dim, ch, patch, patch)
    if time_mlp:
        dense(w, "time_embed.0", 4 * dim, dim)
        dense(w, "time_embed.2", dim, 4 * dim)
    w["pos_embed"] = draw(1, 1 + (size // patch) ** 2, dim, scale=0.3)
    blocks = [f"in_blocks.{i}" for i in range(depth // 2)] + ["mid_block"] + [f"out_blocks.{i}" for i in range(depth // 2)]
    for b in blocks:
        for n in ("norm1", "norm2"):
            w[f"{b}.{n}.weight"], w[f"{b}.{n}.bias"] = 1 + draw(dim, scale=0.3), draw(dim, scale=0.3)
        dense(w, b + ".attn.qkv", 3 * dim, dim, bias=qkv_bias)
        dense(w, b + ".attn.proj", dim, dim)
        dense(w, b + ".mlp.fc1", hidden, dim)
        dense(w, b + ".mlp.fc2", dim, hidden)
        if b.startswith("out") and conv:
            dense(w, b + ".skip_linear", dim, 2 * dim)
    w["norm.weight"], w["norm.bias"] = 1 + draw(dim, scale=0.3), draw(dim, scale=0.3)
    dense(w, "decoder_pred", patch * patch * ch, dim)
    if conv:
        dense(w, "final_layer", ch, ch, 3, 3)
    return w


def uvit(w, x, t, heads, depth):
    p, (b, ch, size, _) = load(w), x.shape
    lin = lambda name, x: F.linear(x, p[name + ".weight"], p.get(name + ".bias"))
    dim, patch = p["patch_embed.proj.weight"].shape[0], p["patch_embed.proj.weight"].shape[-1]
    norm = lambda name, x: F.layer_norm(x, (dim,), p[name + ".weight"], p[name + ".bias"], 1e-5)
    h = F.conv2d(x, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=patch).flatten(2).transpose(1, 2)
    f = torch.exp(-math.log(10000) * torch.arange(dim // 2) / (dim // 2))
    e = 999 * t[:, None] * f
    e = torch.cat([torch.cos(e), torch.sin(e)], -1)
    if "time_embed.0.weight" in p:
        e = lin("time_embed.2", F.silu(lin("time_embed.0", e)))
    h = torch.cat([e[:, None], h], 1) + p["pos_embed"]

    def block(name, h, skip=None):
        if skip is not None and name + ".skip_linear.weight" in p:
            h = lin(name + ".skip_linear", torch.cat([h, skip], -1))
        qkv = lin(name + ".attn.qkv", norm(name + ".norm1", h))
        q, k, v = qkv.reshape(b, -1, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        a = torch.softmax(q @ k.transpose(-1, -2) * (dim // heads) ** -0.5, -1) @ v
        h = h + lin(name + ".attn.proj", a.transpose(1, 2).reshape(b, -1, dim))
        return h + lin(name + ".mlp.fc2", F.gelu(lin(name + ".mlp.fc1", norm(name + ".norm2", h))))

    skips = []
    for i in range(depth // 2):
        h = block(f"in_blocks.{i}", h)
        skips.append(h)
    h = block("mid_block", h)
    for i in range(depth // 2):
        h = block(f"out_blocks.{i}", h, skips.pop())
    h = lin("decoder_pred", norm("norm", h))[:, 1:]
    s = size // patch
    h = h.reshape(b, s, s, patch, patch, ch).permute(0, 5, 1, 3, 2, 4).reshape(b, ch, size, size)
    return F.conv2d(h, p["final_layer.weight"], p["final_layer.bias"], padding=1) if "final_layer.weight" in p else h


# ---- files


def safetensors(path, w):
    head, data = {"__metadata__": {"format": "pt"}}, b""
    for k, v in w.items():
        kind = {"f": "F", "c": "C"}[v.dtype.kind] + str(8 * v.dtype.itemsize)
        head[k] = {"dtype": kind, "shape": v.shape, "data_offsets": [len(data), len(data) + v.nbytes]}
        data += v.tobytes()
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def case(name, w, x, t, y, prefix="", packed=False):
    io[name + ".x"], io[name + ".y"] = x.numpy().astype("f4"), y.numpy()
    if t is not None:
        io[name + ".t"] = t.numpy().astype("f4")
    w = {prefix + k: v for k, v in w.items()}
    if packed:
        safetensors(f"{folder}/{name}.safetensors", w)
    else:
        np.savez(f"{folder}/{name}.npz", **w)
    print(name, sum(v.size * (2 if np.iscomplexobj(v) else 1) for v in w.values()), "reals")


def functions(b, ch, *grid):
    return torch.tensor(draw(b, ch, *grid).astype("f8"))


def times(*t):
    return torch.tensor(np.array(t, "f4").astype("f8"))


folder = sys.argv[1] if len(sys.argv) > 1 else "tests/data"

# KER: 1-D, tanh, double weights, t/T a channel; an odd number of points
w = fno_weights(1, 4, [4], 4, 3, 1, 6)
w = {k: v.astype("c16") if np.iscomplexobj(v) else v for k, v in w.items()}
x, t = functions(2, 1, 13), times(0.25, 730)
case("fno1", w, x, t, fno(w, x, t / 1000, 4, [4], act=torch.tanh))
# ML: 2-D, t a channel
w = fno_weights(2, 3, [3, 2], 3, 4, 1, 5)
x, t = functions(2, 1, 7, 6), times(0.1, 0.9)
case("fno2", w, x, t, fno(w, x, t, 3, [3, 2]), packed=True)
# first release: zeros behind the domain, real pairs, two channels in
w = fno_weights(2, 3, [2, 3], 2, 4, 1, 5)
x = functions(1, 2, 8, 8)
y = fno(w, x, None, 2, [2, 3], pad=2)
case("fno2pad", {k: np.stack([v.real, v.imag], -1) if np.iscomplexobj(v) else v for k, v in w.items()}, x, None, y, packed=True)
# 3-D
w = fno_weights(3, 2, [2, 1, 2], 2, 4, 1, 3)
x = functions(1, 1, 5, 4, 6)
case("fno3", w, x, None, fno(w, x, None, 2, [2, 1, 2]), packed=True)
# neuraloperator 0.2, half blocks; three layers, of which the first two are followed by GELU
w = operator_weights(0.2, 2, 3, [4, 6], 3, 2, 1, 0, 5)
x = functions(2, 2, 6, 7)
case("operator02", w, x, None, operator(w, x, 0.2, 3, [4, 6]), packed=True)
# 0.3 in FFM's wrapper: coordinates with their end, last axis first, and t/1000; an odd number of modes
w = operator_weights(0.3, 2, 3, [3, 4], 3, 4, 1, 6, 5)
x, t = functions(2, 1, 6, 8), times(0.25, 0.75)
u = torch.cat([x, coordinates(2, [6, 8], True, True), clock(t / 1000, x)], 1)
case("operator03", w, x, t, operator(w, u, 0.3, 3, [3, 4]), prefix="model.")
# 2: channel MLPs, odd numbers of modes and points; two-sided padding
w = operator_weights(2, 2, 4, [3, 5], 2, 4, 2, 6, 5, expand=2)
x = functions(2, 2, 9, 7)
case("operator2", w, x, None, operator(w, x, 2, 2, [3, 5]), packed=True)
w = operator_weights(2, 2, 3, [4, 4], 2, 3, 1, 4, 4, expand=3)
x = functions(1, 1, 8, 8)
case("operator2pad", w, x, None, operator(w, x, 2, 2, [4, 4], act=F.silu, pad=0.125), packed=True)
w = operator_weights(2, 1, 3, [4], 3, 2, 1, 5, 4)
x = functions(2, 1, 9)
case("operator2plain", w, x, None, operator(w, x, 2, 3, [4]), packed=True)
# group norms and matrices as skips; 0.3 with MLPs, instance norms, a skip without weights
w = operator_weights(2, 2, 4, [4, 4], 2, 3, 1, 4, 4, expand=3, linear=True, norm=True)
x = functions(1, 1, 6, 8)
case("operator2norm", w, x, None, operator(w, x, 2, 2, [4, 4], groups=2), packed=True)
w = operator_weights(0.3, 1, 3, [6], 2, 2, 1, 4, 4, expand=4, skip=False)
x = functions(2, 2, 10)
case("operator03mlp", w, x, None, operator(w, x, 0.3, 2, [6], groups=3), packed=True)
# factorised weights: Tucker, and CP as real pairs
whole, w = factorise(operator_weights(2, 2, 3, [4, 4], 2, 3, 1, 4, 4, expand=2), False)
x = functions(1, 1, 8, 6)
case("operator2tucker", w, x, None, operator(whole, x, 2, 2, [4, 4]), packed=True)
whole, w = factorise(operator_weights(0.2, 2, 3, [4, 4], 2, 2, 1, 0, 4), True)
x = functions(1, 2, 8, 6)
case("operator02cp", w, x, None, operator(whole, x, 0.2, 2, [4, 4]), packed=True)
# 1: the same number of modes means others; separable, skips by one number a channel
w = operator_weights(1, 3, 3, [3, 2, 4], 2, 4, 1, 4, 4, expand=2, soft=True, separable=True)
x = functions(1, 1, 6, 4, 6)
case("operator1", w, x, None, operator(w, x, 1, 2, [3, 2, 4]), packed=True)
# U-ViT, with all its parts and without
w = uvit_weights(6, 2, 2, 8, 3, 12, True, True, True)
x, t = functions(2, 2, 6, 6), times(0.02, 0.625)
case("uvit", w, x, t, uvit(w, x, t, 2, 3), packed=True)
w = uvit_weights(4, 2, 1, 8, 3, 8, False, False, False)
x, t = functions(2, 1, 4, 4), times(0.02, 0.625)
case("uvit_bare", w, x, t, uvit(w, x, t, 4, 3), packed=True)
np.savez(f"{folder}/io.npz", **io)
