#!/usr/bin/python3
"""read.py FOLDER: small files as numpy, scipy, PyTorch and Pillow write them, for tests/test_read.c
(Debian: python3-numpy python3-scipy python3-torch python3-pil). Each holds 2 x 3 x 4 numbers,
x[i][j][k] = .375 ((i*3 + j)*4 + k) - 2, in its own type, or 10 ((i*3 + j)*4 + k) in types without
sign."""
import collections, gzip, json, os, struct, sys
import numpy as np, scipy.io, scipy.sparse, torch
from PIL import Image

os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
n = np.arange(24).reshape(2, 3, 4)
x = .375 * n - 2
u = (10 * n).astype("u1")

# ---- numpy
many = dict(words=np.array(["one", "two"]), f4=x.astype("f4"),
            fortran=np.asfortranarray(x.astype(">f8")), u1=u, i2=u.astype(">i2"),
            c8=(x - 2j * x).astype("c8"), f2=x.astype("f2"), bool=u > 100)
np.savez("stored.npz", **many)
np.savez_compressed("deflated.npz", **many)
np.savez_compressed("one.npz", x=x.astype("f4"))
np.save("x.npy", x)
with open("x.npy", "rb") as f, gzip.GzipFile("x.npy.gz", "wb", mtime=0) as g:
    g.write(f.read())
idx = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 3, 4) + u.tobytes()
open("x.idx", "wb").write(idx)
with gzip.GzipFile("x.idx.gz", "wb", mtime=0) as g:
    g.write(idx)

# ---- MATLAB: doubles without fractions are stored as small integers, here as int16
mat = dict(x=x, single=x.astype("f4"), u1=u, whole=(10. * n), c=x - 2j * x, text="one",
           cell=np.array([1, "a"], object), s=dict(a=1), sparse=scipy.sparse.eye(3), truth=u > 100)
for name, packed in (("plain.mat", False), ("packed.mat", True)):
    scipy.io.savemat(name, mat, do_compression=packed)
    with open(name, "r+b") as f:                       # not the date
        f.write(b"MATLAB 5.0 MAT-file".ljust(116))

# ---- PyTorch
t = torch.tensor(x.astype("f4"))
turned = np.ascontiguousarray(x.astype("f4").transpose(2, 0, 1))
state = collections.OrderedDict(
    w=t, half=t.half(), bf16=t.bfloat16(), double=t.double(), u1=torch.tensor(u),
    c=torch.complex(t, -2 * t), count=torch.tensor(7), turned=torch.tensor(turned).permute(1, 2, 0),
    part=torch.cat([t, t + 9])[:2], wide=t[:1].expand(2, 3, 4))
torch.save({"model": state, "list": [(torch.nn.Parameter(t), 1)], "epoch": 3, "name": "run",
            "type": torch.float32, "act": torch.nn.functional.gelu,
            "number": np.float64(1.5)}, "x.pt")
torch.save(t, "bare.pt")
torch.save({"x": t}, "four.pt", pickle_protocol=4)
torch.save({"x": t}, "old.pt", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(1, 1), "module.pt")


# weights of a Fourier operator as people keep them: in a checkpoint, and compressed
with np.load("../fno1.npz") as f:
    weights = {k: f[k] for k in f.files}
torch.save({"model": {k: torch.tensor(v) for k, v in weights.items()}, "step": 7}, "fno1.pt")
np.savez_compressed("fno1.npz", count=np.int64(7), note=np.array("a word"), **weights)


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must not run >/dev/stderr",)


torch.save({"x": t, "y": Evil()}, "evil.pt")

# ---- safetensors
head, body = {"__metadata__": {"key": "value\n"}}, b""
for name, kind, a in (("F32", "F32", x.astype("f4")), ("F64", "F64", x),
                      ("F16", "F16", x.astype("f2")),
                      ("C64", "C64", (x - 2j * x).astype("c8")), ("F8", "F8_E4M3", u),
                      ("I64", "I64", (10 * n).astype("i8")), ("U8", "U8", u)):
    head[name] = dict(dtype=kind, shape=[2, 3, 4], data_offsets=[len(body), len(body) + a.nbytes])
    body += a.tobytes()
head = json.dumps(head).encode()
open("x.safetensors", "wb").write(struct.pack("<Q", len(head)) + head + body)

# ---- pictures
rgb = np.stack([u, 255 - u, u // 2], -1)
opaque = np.full_like(rgb[..., :1], 255)
for name, a in (("gray", u), ("rgb", rgb), ("rgba", np.concatenate([rgb, opaque], -1)),
                ("clear", np.concatenate([rgb, rgb[..., :1]], -1)), ("wide", u.astype("i4") * 257)):
    os.makedirs(name, exist_ok=True)
    for i in range(2):
        Image.fromarray(a[i]).save(f"{name}/{i}.png")
os.makedirs("jpeg", exist_ok=True)
for i in range(2):
    Image.fromarray(np.full((3, 4), 60 + 100 * i, "u1")).save(f"jpeg/{i}.JPG", "JPEG", quality=95)
