"""PyTorch's side of bench.c: answers on stdout what is asked on stdin.

    bench_torch.py THREADS float|double           a line `SECONDS WORK [SIZES]` -> seconds of one call
    bench_torch.py THREADS float|double WORK ..   the peak memory of a few calls, in bytes

Works: rfft N LINES; rfft2, irfft2 N IMAGES; normal N; philox N (NumPy's generator of that name); pcn N VALUES
(NumPy); flow N STEPS (NumPy); scipy-flow N STEPS; darcy-lu N, darcy-cg N, mini-darcy (SciPy); bridge MODES STEPS PATHS; field N COUNT; exp, sin, gelu, gelu_back N;
mix MODES BATCH WIDTH; spectral; attention BATCH TOKENS WIDTH HEADS; layernorm BATCH TOKENS WIDTH; fno1d, fno2d, uvit,
inr with train or sample, match train.

The process starts itself again with the settings that serve torch best: an allocator that keeps
large blocks, huge pages, OpenBLAS on OpenMP's threads instead of threads of its own, bound threads.
Where this Python has no torch, the distribution's may. For memory the allocator gives large blocks back at once, so that only what is in use counts.
"""
import functools
import glob
import importlib.util
import math
import os
import sys

THREADS, DOUBLE, ONCE = int(sys.argv[1]), sys.argv[2] == "double", sys.argv[3:]
if "BENCH_TUNED" not in os.environ:
    env = dict(os.environ, BENCH_TUNED="1", OMP_NUM_THREADS=str(THREADS), OPENBLAS_NUM_THREADS=str(THREADS),
               MKL_NUM_THREADS=str(THREADS))
    for name in ("OMP_WAIT_POLICY", "OMP_THREAD_LIMIT"):  # with fewer threads than told OpenBLAS waits for ever
        env.pop(name, None)
    if ONCE:
        env.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")
    else:
        env.update(MALLOC_MMAP_THRESHOLD_=str(1 << 33), MALLOC_TRIM_THRESHOLD_=str(1 << 34),
                   MALLOC_TOP_PAD_=str(1 << 28), GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
    blas = glob.glob("/usr/lib/*/openblas-openmp")
    if blas:
        env["LD_LIBRARY_PATH"] = blas[0] + ":" + env.get("LD_LIBRARY_PATH", "")
    env["OMP_PROC_BIND"] = str(bool(blas)).lower()  # OpenBLAS's own threads would all be bound to one core
    os.sched_setaffinity(0, range(min(THREADS, os.cpu_count())))
    python = sys.executable if importlib.util.find_spec("torch") else "/usr/bin/python3"
    os.execve(python, [python] + sys.argv, env)

import time  # noqa: E402

import numpy  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(THREADS)
torch.set_num_interop_threads(1)
torch.set_default_dtype(torch.float64 if DOUBLE else torch.float32)


# ---- Networks: FNO of FD_FNO_ORIGINAL with FD_TIME_CHANNEL, FD_COORD_CLOSED ----

class Pointwise(nn.Module):
    """A 1x1 convolution as a batched product: faster here than torch's convolution."""

    def __init__(self, n_in, n_out):
        super().__init__()
        line = nn.Linear(n_in, n_out)
        self.w, self.b = line.weight, line.bias

    def forward(self, x):  # (b, channels, points..)
        y = torch.baddbmm(self.b[None, :, None], self.w.expand(x.shape[0], -1, -1), x.flatten(2))
        return y.reshape(x.shape[0], -1, *x.shape[2:])


class Spectral1d(nn.Module):
    def __init__(self, width, modes):
        super().__init__()
        self.w, self.modes = nn.Parameter(torch.rand(width, width, modes, 2) / width**2), modes

    def forward(self, x):
        f = torch.fft.rfft(x)[..., : self.modes]
        out = torch.zeros(*x.shape[:2], x.shape[2] // 2 + 1, dtype=f.dtype)
        out[..., : self.modes] = torch.einsum("bim,iom->bom", f, torch.view_as_complex(self.w))
        return torch.fft.irfft(out, n=x.shape[2])


class Spectral2d(nn.Module):
    def __init__(self, width, modes):
        super().__init__()
        self.w, self.modes = nn.Parameter(torch.rand(2, width, width, modes, modes, 2) / width**2), modes

    def forward(self, x):
        m, f, w = self.modes, torch.fft.rfft2(x), torch.view_as_complex(self.w)
        out = torch.zeros_like(f)
        out[:, :, :m, :m] = torch.einsum("bixy,ioxy->boxy", f[:, :, :m, :m], w[0])
        out[:, :, -m:, :m] = torch.einsum("bixy,ioxy->boxy", f[:, :, -m:, :m], w[1])
        return torch.fft.irfft2(out, s=x.shape[2:])


class Fno(nn.Module):
    def __init__(self, spectral, shape, width, modes, layers=4, proj=128):
        super().__init__()
        axes = torch.meshgrid(*[torch.linspace(0, 1, n) for n in shape], indexing="ij")
        self.register_buffer("grid", torch.stack(axes)[None])
        self.lift = Pointwise(2 + len(shape), width)
        self.spectral = nn.ModuleList(spectral(width, modes) for _ in range(layers))
        self.skip = nn.ModuleList(Pointwise(width, width) for _ in range(layers))
        self.p1, self.p2 = Pointwise(width, proj), Pointwise(proj, 1)

    def forward(self, x, t):
        b, shape = x.shape[0], x.shape[2:]
        one = t.reshape(-1, *[1] * (x.dim() - 1)).expand(b, 1, *shape)
        h = self.lift(torch.cat([x, self.grid.expand(b, -1, *shape), one], 1))
        for i, (s, w) in enumerate(zip(self.spectral, self.skip)):
            h = s(h) + w(h)
            if i < len(self.skip) - 1:
                h = F.gelu(h)
        return self.p2(F.gelu(self.p1(h)))


# ---- Networks: FD_UVIT and FD_VIT with FD_TIME_TOKEN; FD_SIREN with FD_MOD_SCALE ----

class Block(nn.Module):
    def __init__(self, d, heads, skip):
        super().__init__()
        self.heads, self.n1, self.n2 = heads, nn.LayerNorm(d, 1e-6), nn.LayerNorm(d, 1e-6)
        self.qkv, self.proj = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d)
        self.f1, self.f2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.skip = nn.Linear(2 * d, d) if skip else None

    def forward(self, x, skip=None):
        if self.skip is not None:
            x = self.skip(torch.cat([x, skip], -1))
        b, s, d = x.shape
        q, k, v = self.qkv(self.n1(x)).reshape(b, s, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(attention(q, k, v).transpose(1, 2).reshape(b, s, d))
        return x + self.f2(F.gelu(self.f1(self.n2(x))))


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, -1) @ v


class Vit(nn.Module):
    def __init__(self, n, patch, d, layers, unet, heads=4):
        super().__init__()
        self.d, self.p, self.g, self.half = d, patch, n // patch, layers // 2 if unet else 0
        self.patch, self.time = nn.Linear(patch * patch, d), nn.Sequential(nn.Linear(d, 4 * d), nn.SiLU(), nn.Linear(4 * d, d))
        self.pos = nn.Parameter(0.02 * torch.randn(1, self.g**2, d))
        self.blocks = nn.ModuleList(Block(d, heads, i > layers - 1 - self.half) for i in range(layers))
        self.norm, self.head, self.last = nn.LayerNorm(d, 1e-6), nn.Linear(d, patch * patch), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x, t):
        b, g, p = x.shape[0], self.g, self.p
        f = 1000 * t[:, None] * torch.exp(-math.log(10000.0) * torch.arange(self.d // 2) / (self.d // 2))
        h = self.patch(x.reshape(b, g, p, g, p).permute(0, 1, 3, 2, 4).reshape(b, g * g, p * p)) + self.pos
        h = torch.cat([self.time(torch.cat([f.cos(), f.sin()], -1))[:, None], h], 1)
        stack = []
        for i, block in enumerate(self.blocks):
            h = block(h, stack.pop()) if block.skip is not None else block(h)
            if i < self.half:
                stack.append(h)
        y = self.head(self.norm(h[:, 1:])).reshape(b, g, g, p, p).permute(0, 1, 3, 2, 4).reshape(b, 1, g * p, g * p)
        return self.last(y)


class Coords(nn.Module):
    def __init__(self, n, width, layers, omega=30.0):
        super().__init__()
        self.vit, self.mod, self.omega = Vit(n, 4, 64, 2, False), nn.Linear(n * n, layers * 2 * width), omega
        self.layers, self.out = nn.ModuleList(nn.Linear(width if i else 3, width) for i in range(layers)), nn.Linear(width, 1)
        for i, layer in enumerate(self.layers):
            bound = (6 / width) ** 0.5 / omega if i else 1 / 3
            nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.normal_(self.mod.weight, std=1 / (n * omega))
        g = torch.linspace(-1, 1, n)
        self.register_buffer("grid", torch.stack(torch.meshgrid(g, g, indexing="ij"), -1).reshape(1, n * n, 2))

    def forward(self, x, t):
        b = x.shape[0]
        m = self.mod(self.vit(x, t).reshape(b, -1)).reshape(b, len(self.layers), 2, 1, -1)
        z = torch.cat([self.grid.expand(b, -1, -1), x.reshape(b, -1, 1)], -1)
        for i, layer in enumerate(self.layers):
            z = torch.sin(self.omega * (layer(z) * (1 + m[:, i, 1]) + m[:, i, 0]))
        return self.out(z).reshape(x.shape)


STEPS = {
    "fno1d": (lambda: Fno(Spectral1d, (256,), 64, 16), (64, 1, 256)),
    "fno2d": (lambda: Fno(Spectral2d, (64, 64), 32, 12), (16, 1, 64, 64)),
    "uvit": (lambda: Vit(32, 4, 128, 7, True), (64, 1, 32, 32)),
    "inr": (lambda: Coords(32, 128, 5), (64, 1, 32, 32)),
}


def step(kind, what):
    net, shape = STEPS[kind][0](), STEPS[kind][1]
    x0, eps, t = torch.randn(shape), torch.randn(shape), torch.rand(shape[0])
    a = torch.cos(0.5 * math.pi * t).reshape(-1, *[1] * (len(shape) - 1))
    s = torch.sqrt(1 - a * a)
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, foreach=True)
    state = [eps.clone()]

    def train():
        adam.zero_grad(set_to_none=True)
        torch.mean((net(a * x0 + s * eps, t) - eps) ** 2).backward()
        adam.step()

    @torch.no_grad()
    def sample():
        x = state[0]
        state[0] = (1.001 * x - 0.01 * net(x, t) + 0.01 * eps).clamp_(-10, 10)

    return train if what == "train" else sample


# ---- Bridges of dX = -A X dt + dW, a = nu mu + c, in cosines or sines ----

def bridge_coef(a, to, left):
    """Factors of the state, of the end and of unit noise, after a step of length `to` that leaves `left` to go."""
    g = lambda h: -torch.expm1(-2 * a * h) / (2 * a)  # noqa: E731
    whole = g(to + left)
    return torch.exp(-a * to) * g(left) / whole, torch.exp(-a * left) * g(to) / whole, torch.sqrt(g(to) * g(left) / whole)


def bridge(modes, steps, paths, nu=0.05, c=0.2):
    """Paths of the heat equation between two functions: in modes, and all states to points by one product."""
    k = torch.arange(modes, dtype=torch.get_default_dtype())
    a, sd = nu * (math.pi * k) ** 2 + c, 1 / ((math.pi * k) ** 2 + 1) ** 0.5
    basis = torch.cos(math.pi * k[:, None] * (k[None] + 0.5) / modes) * torch.where(k > 0, math.sqrt(2), 1.0)[:, None]
    start, end = torch.randn(paths, modes), torch.randn(paths, modes)
    states, z, dt = torch.empty(steps + 1, paths, modes), torch.empty(paths, modes), 1.0 / steps

    def draw():
        u, e = start @ basis.T / modes, end @ basis.T / modes
        states[0] = u
        for i in range(steps):
            f = bridge_coef(a, torch.tensor(dt), torch.tensor((steps - 1 - i) * dt))
            z.normal_()
            torch.mul(states[i], f[0], out=states[i + 1])
            states[i + 1].addcmul_(e, f[1]).addcmul_(z, f[2] * sd)
        return (states.reshape(-1, modes) @ basis).reshape(steps + 1, paths, modes)

    return draw


def match(n=32, b=16, nu=0.01, c=0.5):
    """A training step of bridge matching: states between pairs of functions, the network says the end."""
    net, t = Fno(Spectral2d, (n, n), 32, 12), torch.empty(b)
    k = torch.arange(n, dtype=torch.get_default_dtype())
    dct = torch.cos(math.pi * k[:, None] * (k[None] + 0.5) / n) * torch.where(k > 0, math.sqrt(2), 1.0)[:, None]
    mu = math.pi**2 * (k[:, None] ** 2 + k[None] ** 2)
    a, sd = (nu * mu + c)[None], 1 / (mu + 25)
    x0, x1, z = (torch.randn(b, n, n) for _ in range(3))
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, foreach=True)

    def train():
        with torch.no_grad():
            t.uniform_(0.01, 0.99)
            z.normal_()
            f = bridge_coef(a, t[:, None, None], 1 - t[:, None, None])
            u = f[0] * (dct @ x0 @ dct.T) / n**2 + f[1] * (dct @ x1 @ dct.T) / n**2 + f[2] * sd * z
            x = (dct.T @ u @ dct)[:, None]
        adam.zero_grad(set_to_none=True)
        torch.mean((net(x, t) - x1[:, None]) ** 2).backward()
        adam.step()

    return train


# ---- Kernels ----

def field(n, count, alpha=2.0, tau=3.0):
    """(-Laplacian + tau^2)^-alpha: normals for the half spectrum, a real inverse transform."""
    k1, k2 = torch.fft.fftfreq(n, 1 / n)[:, None], torch.arange(n // 2 + 1)[None]
    sd = n * n * (4 * math.pi**2 * (k1**2 + k2**2) + tau**2) ** (-alpha / 2)

    def draw():
        xi = torch.randn(count, n, n // 2 + 1, 2)
        xi *= sd[..., None]
        return torch.fft.irfft2(torch.view_as_complex(xi), s=(n, n))

    return draw


def pcn(n, m, h=0.1, sd=0.1, alpha=2.0, tau=3.0):
    """A chain of pCN on the field's law, given m values: NumPy's transform, its fastest generator."""
    k1, k2 = numpy.fft.fftfreq(n, 1 / n)[:, None], numpy.arange(n // 2 + 1)[None]
    scale = (n * n * (4 * math.pi**2 * (k1**2 + k2**2) + tau**2) ** (-alpha / 2)).astype("f8" if DOUBLE else "f4")
    g, at, y = numpy.random.default_rng(1), numpy.arange(m) * n * n // m, numpy.zeros(m)
    state = [numpy.zeros((n, n)), 0.0]

    def step():
        xi = g.standard_normal((n, n // 2 + 1, 2), dtype=scale.dtype) * scale[..., None]
        v = math.sqrt(1 - h * h) * state[0] + h * numpy.fft.irfft2(xi[..., 0] + 1j * xi[..., 1], s=(n, n))
        phi = 0.5 * numpy.sum(((v.ravel()[at] - y) / sd) ** 2)
        if math.log(g.random()) < state[1] - phi:
            state[:] = v, phi

    return step


def flow(n, steps, fast=False, nu=1e-3, dt=1e-3):
    """Steps of the vorticity equation, in coefficients: NumPy's transforms, or SciPy's and its workers; factors made once."""
    if fast:
        import scipy.fft

        forward, backward = (functools.partial(f, workers=THREADS) for f in (scipy.fft.rfft2, scipy.fft.irfft2))
    else:
        forward, backward = numpy.fft.rfft2, numpy.fft.irfft2
    real = "f8" if DOUBLE else "f4"
    k1, k2 = numpy.fft.fftfreq(n, 1 / n)[:, None], numpy.arange(n // 2 + 1)[None]
    q = 4 * math.pi**2 * (k1**2 + k2**2)
    dy, dx = (2j * math.pi * numpy.where(2 * abs(k) == n, 0, k) for k in (k1, k2))
    inverse = 1 / numpy.where(q > 0, q, 1)
    low = (3 * abs(k1) < n) & (3 * k2 < n)
    push = numpy.where(low, dt / (1 + dt * nu * q / 2), 0)
    keep = (1 - dt * nu * q / 2) / (1 + dt * nu * q / 2)
    by = [low * b for b in (dy * inverse, -dx * inverse, dx + 0 * dy, dy + 0 * dx)]
    if fast:
        by = numpy.stack(by).astype("c16" if DOUBLE else "c8")
        push, keep = push.astype(real), keep.astype(real)
    start = forward(numpy.random.default_rng(1).standard_normal((n, n))) * numpy.exp(-q / 1000)
    state = [start.astype(by.dtype) if fast else start]

    def step():
        for _ in range(steps):
            advance()

    def advance():
        w = state[0]
        if fast:
            u, v, wx, wy = backward(by * w, s=(n, n), axes=(1, 2))
        else:
            u, v, wx, wy = (backward(b * w, s=(n, n)).astype(real) for b in by)
        state[0] = keep * w - push * forward(u * wx + v * wy)

    return step


class Darcy:
    """-div(a grad u) = 1 by cells and harmonic means: SciPy's sparse matrices, whose pattern is made once."""

    def __init__(self, n):
        import scipy.fft
        import scipy.sparse as sparse
        import scipy.sparse.linalg as linalg

        self.n, self.linalg, self.fft = n, linalg, scipy.fft
        i = numpy.arange(n * n).reshape(n, n)
        self.rows = numpy.concatenate([i.ravel(), i[1:].ravel(), i[:-1].ravel(), i[:, 1:].ravel(), i[:, :-1].ravel()])
        cols = numpy.concatenate([i.ravel(), i[:-1].ravel(), i[1:].ravel(), i[:, :-1].ravel(), i[:, 1:].ravel()])
        self.order = numpy.lexsort((self.rows, cols))
        count = numpy.concatenate([[0], numpy.cumsum(numpy.bincount(cols))])
        self.A = sparse.csc_matrix((numpy.ones(len(cols)), self.rows[self.order], count), shape=(n * n, n * n))
        self.R = sparse.csr_matrix((self.A.data, self.A.indices, self.A.indptr), shape=self.A.shape)  # symmetric
        self.f = numpy.full(n * n, 1 / n**2)
        s = 4 * numpy.sin(math.pi * numpy.arange(1, n + 1) / (2 * n)) ** 2
        self.over = 1 / (s[:, None] + s[None])

    def matrix(self, a):
        x, y = 2 * a[1:] * a[:-1] / (a[1:] + a[:-1]), 2 * a[:, 1:] * a[:, :-1] / (a[:, 1:] + a[:, :-1])
        d = numpy.zeros_like(a)
        d[1:] += x
        d[:-1] += x
        d[:, 1:] += y
        d[:, :-1] += y
        d[0] += 2 * a[0]
        d[-1] += 2 * a[-1]
        d[:, 0] += 2 * a[:, 0]
        d[:, -1] += 2 * a[:, -1]
        v = numpy.concatenate([d.ravel(), -x.ravel(), -x.ravel(), -y.ravel(), -y.ravel()])
        self.A.data[:] = self.R.data[:] = v[self.order]

    def direct(self, a):
        self.matrix(a)
        how = dict(permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options=dict(SymmetricMode=True))
        return self.linalg.splu(self.A, **how).solve(self.f)

    def gradients(self, a):
        """Preconditioned by the inverse of the Laplacian, scaled by a, in sines: 17 iterations; Jacobi takes hundreds."""
        n, by = self.n, 1 / numpy.sqrt(a)
        self.matrix(a)

        def precondition(r):
            z = self.fft.dstn(by * r.reshape(n, n), type=2, workers=THREADS)
            return (by * self.fft.idstn(z * self.over, type=2, workers=THREADS)).ravel()

        M = self.linalg.LinearOperator(self.A.shape, precondition, dtype="f8")
        return self.linalg.cg(self.R, self.f, tol=1e-8, atol=0, M=M)[0]


def matern(n):
    """Deviations of the cosines of a Matern field, nu = 3/2, l = .3, of variance 1."""
    k = numpy.arange(n)
    q = (math.pi**2 * (k[:, None] ** 2 + k[None] ** 2) + 3 / 0.3**2) ** -2.5
    return numpy.sqrt(q / q.sum()) * n


def darcy(n, direct):
    import scipy.fft

    d = Darcy(n)
    a = numpy.exp(scipy.fft.idctn(matern(n) * numpy.random.default_rng(1).standard_normal((n, n)), norm="ortho"))
    return (lambda: d.direct(a)) if direct else (lambda: d.gradients(a))


def mini_darcy(n=32, h=0.05, sd=3e-3):
    """A step of pCN on exp of that field, given 16 pressures; the better of both solvers."""
    import scipy.fft

    d, scale, g = Darcy(n), matern(n), numpy.random.default_rng(1)
    at = (numpy.arange(4, n, 8)[:, None] * n + numpy.arange(4, n, 8)).ravel()
    draw = lambda: scipy.fft.idctn(scale * g.standard_normal((n, n)), norm="ortho")  # noqa: E731
    times = [timed(lambda f=f: f(numpy.exp(draw())), False, 0.2) for f in (d.direct, d.gradients)]
    solve = d.direct if times[0] < times[1] else d.gradients
    y = solve(numpy.exp(draw()))[at]
    state = [draw(), 1e300]

    def step():
        v = math.sqrt(1 - h * h) * state[0] + h * draw()
        phi = 0.5 * numpy.sum(((solve(numpy.exp(v))[at] - y) / sd) ** 2)
        if math.log(g.random()) < state[1] - phi:
            state[:] = v, phi

    return step


def elementwise(kind, n):
    x, g, out = torch.randn(n), torch.randn(n), torch.empty(n)
    if kind == "normal":
        return lambda: out.normal_()
    if kind == "gelu":
        return lambda: F.gelu(x)
    if kind == "gelu_back":
        return lambda: (F.gelu(x), torch.ops.aten.gelu_backward(g, x))
    f = getattr(torch, kind)
    return lambda: f(x, out=out)


def with_grad(f):
    def run():
        with torch.enable_grad():
            f()

    return run


def make(work, *n):
    if work in STEPS:
        return step(work, n[0])
    if work == "match":
        return match()
    n = [int(i) for i in n]
    if work == "rfft":
        x = torch.randn(n[1], n[0])
        return lambda: torch.fft.rfft(x)
    if work in ("rfft2", "irfft2"):
        x = torch.randn(n[1], n[0], n[0])
        f = torch.fft.rfft2(x)
        return (lambda: torch.fft.rfft2(x)) if work == "rfft2" else (lambda: torch.fft.irfft2(f, s=(n[0], n[0])))
    if work == "field":
        return field(*n)
    if work == "pcn":
        return pcn(*n)
    if work == "bridge":
        return bridge(*n)
    if work == "flow":
        return flow(*n)
    if work == "scipy-flow":
        return flow(*n, fast=True)
    if work in ("darcy-lu", "darcy-cg"):
        return darcy(*n, work == "darcy-lu")
    if work == "mini-darcy":
        return mini_darcy()
    if work == "philox":
        g, out = numpy.random.Generator(numpy.random.Philox(1)), numpy.empty(n[0], "f8" if DOUBLE else "f4")
        return lambda: g.standard_normal(out=out, dtype=out.dtype)
    if work == "mix":
        x, w = (torch.randn(k, n[2], n[0], 2) for k in (n[1], n[2]))
        x, w = torch.view_as_complex(x), torch.view_as_complex(w)
        return lambda: torch.einsum("bim,iom->bom", x, w)
    if work in ("attention", "layernorm"):
        shape = (n[0], n[3], n[1], n[2] // n[3]) if work == "attention" else (n[0], n[1], n[2])
        v = [torch.randn(shape, requires_grad=True) for _ in range(3)]
        if work == "layernorm":
            v[1:] = [torch.randn(n[2], requires_grad=True) for _ in range(2)]
        f = attention if work == "attention" else lambda x, g, h: F.layer_norm(x, g.shape, g, h)
        dy = torch.randn(shape)
        return with_grad(lambda: torch.autograd.grad(f(*v), v, dy))
    if work == "spectral":
        s, x = Spectral2d(32, 12), torch.randn(16, 32, 64, 64)
        return lambda: s(x)
    return elementwise(work, *n)


def call(f, grad):
    with torch.set_grad_enabled(grad):
        f()


def timed(f, grad, seconds):
    """The mean of as many calls as fit, after one that warms up."""
    call(f, grad)
    n, start, spent = 0, time.perf_counter(), 0.0
    while spent < seconds or n == 0:
        call(f, grad)
        n, spent = n + 1, time.perf_counter() - start
    return spent / n


def resident(peak):
    with open("/proc/self/status") as f:
        return next(1024 * int(line.split()[1]) for line in f if line.startswith("VmHWM" if peak else "VmRSS"))


def memory():
    x = torch.randn(4, 256, 256)  # what the libraries themselves keep is not counted
    torch.fft.irfft2(torch.fft.rfft2(torch.bmm(x, x)), s=(256, 256))
    del x
    before = resident(0)
    f = make(*ONCE)
    for _ in range(4):
        call(f, ONCE[-1] == "train")
    return resident(1) - before


if __name__ == "__main__":
    if ONCE:
        print(memory())
        sys.exit()
    print(torch.__version__, flush=True)
    asked, f = None, None
    for line in sys.stdin:
        seconds, *work = line.split()
        if work != asked:
            f = None  # its memory goes before more is taken
            asked, f = work, make(*work)
            call(f, work[-1] == "train")
        print(timed(f, work[-1] == "train", float(seconds)), flush=True)
