"""python.py LIBRARY [double]: examples/python/fd.py against the compiler and against the library's
own models. Ends with `N passed, N failed`."""
import ctypes
import gc
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "examples", "python"))
import fd  # noqa: E402

library, double = sys.argv[1], len(sys.argv) > 2
signal.signal(signal.SIGINT, signal.default_int_handler)    # a shell in the background ignores it
counts = [0, 0]


def ok(good, *what):
    counts[not good] += 1
    if not good:
        print("python:", *what)


def raises(kind, text, f):
    try:
        f()
    except kind as e:
        ok(text in str(e), "expected '%s', got '%s'" % (text, e))
    else:
        ok(False, "no error: '%s'" % text)


lab = fd.Lab(1 << 28, double, library)


def structures():
    """Every structure of fd.h has the size and the places of fields that the compiler gives it."""
    made = {n: t for n, t in lab.h.types.items()
            if isinstance(t, type) and issubclass(t, ctypes.Structure) and hasattr(t, "_fields_")
            and n.startswith("fd_")}
    lines = ['#include <stdio.h>', '#include "fd.h"', 'struct fd_pass;', 'int main(void) {']
    want = []
    for n, t in sorted(made.items()):
        if not t._fields_:
            continue
        text = open(os.path.join(ROOT, "fd.h")).read().replace("} ", "")
        c = n if n + ";" in text else "struct " + n
        lines.append('printf("%%zu\\n", sizeof(%s));' % c)
        want.append((n, ctypes.sizeof(t)))
        for f in t._fields_:
            lines.append('printf("%%zu\\n", offsetof(%s, %s));' % (c, f[0]))
            want.append((n + "." + f[0], getattr(t, f[0]).offset))
    for n, v in sorted(lab.h.constants.items()):
        lines.append('printf("%%d\\n", (int)%s);' % n)
        want.append((n, v))
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/s.c", "w") as f:
            f.write("\n".join(lines + ["return 0; }"]))
        subprocess.check_call([os.environ.get("CC", "cc"), "-I", ROOT, "-o", d + "/s", d + "/s.c"]
                              + (["-DFD_DOUBLE"] if double else []))
        got = subprocess.check_output([d + "/s"]).split()
    ok(len(got) == len(want) > 400, len(got), "numbers of", len(want))
    for (n, w), g in zip(want, got):
        ok(w == int(g), n, "is", w, "here and", int(g), "in C")
    for n in lab.h.functions:
        ok(hasattr(lab.lib, n), n, "is not in the library")


def steps(p, name, n):
    """n steps of a scheme; this one takes short ones only."""
    short = name == "vp-predictor"
    return dict(scheme=name, times=lab.times(p, 40, lab.FD_UNIFORM) if short else lab.times(p, n))


def callbacks():
    """A network asked through Python draws what it draws when the library asks it: every scheme."""
    s = lab.grid(16, 16, boundary=lab.FD_NEUMANN)
    c = lab.call("cov_matern", s, 1.0, 0.2, 1.5)
    p = lab.call("vp", c, 0.1, 20.0)
    net = lab.network(os.environ["FD_MODEL"])
    own = lab.call("net_model", net, lab.FD_X0)

    def f(x, t):
        return lab2.forward(net2, s2, x, t)

    # the function has a lab of its own: the library is in the middle of a call of the first one
    lab2 = fd.Lab(1 << 28, double, library)
    s2, net2 = lab2.grid(16, 16, boundary=lab2.FD_NEUMANN), lab2.network(os.environ["FD_MODEL"])
    m = lab.model(f, lab.FD_X0)
    for name in lab.schemes:
        if name in ("ancestral-optimal", "annealed"):
            continue                                  # asks for a variance; has no predictor
        q = lab.call("ve", c, 0.01, 10.0) if name == "ve-predictor" else p
        x, y = (lab.sample(q, v, 3, **steps(q, name, 4), eta=0.5) for v in (own, m))
        ok(np.isfinite(x).all() and x.tobytes() == y.tobytes(), name, "differs through Python")
    x, y = (lab.sample(p, v, 3, steps=4, scheme="annealed", corrector=lab.FD_CORRECT_SCALED,
                       cprm=0.1) for v in (own, m))
    ok(x.tobytes() == y.tobytes(), "annealed differs through Python")

    # the gradient of the loss, against differences
    x = lab.noise(c, 2)
    loss, g = lab.gradient(net, s, x, 0.5, 0 * x)
    w = lab.array(net.contents.w, (net.contents.count,), lab.real)
    d = np.random.default_rng(1).standard_normal(len(w)).astype(lab.real)
    keep, h, v = w.copy(), 1e-2, []
    for k in (h, -h):
        w[:] = keep + k * d
        v.append(lab.gradient(net, s, x, 0.5, 0 * x)[0])
    w[:] = keep
    slope = (v[0] - v[1]) / (2 * h)
    ok(abs(slope - g.astype(float) @ d) < 2e-2 * abs(slope) + 1e-4 * loss, "gradient:", slope,
       g.astype(float) @ d)


def errors():
    s = lab.grid(32)
    c = lab.call("cov_rbf", s, 1.0, 0.1)
    p = lab.call("vp", c, 0.1, 20.0)
    good = lab.call("oracle_gauss", p, None, c)
    raises(ValueError, "(2, 1, 32) is wanted",
           lambda: lab.sample(p, lab.model(lambda x, t: x[..., :3], lab.FD_X0), 2))
    raises(ZeroDivisionError, "",
           lambda: lab.sample(p, lab.model(lambda x, t: 1 / 0, lab.FD_X0), 2))
    raises(fd.Error, "fd_cov_rbf: ", lambda: lab.call("cov_rbf", s, -1.0, 0.1))
    raises(fd.Error, "no scheme 'euler'", lambda: lab.sample(p, good, 2, scheme="euler"))
    raises(Exception, "float", lambda: lab.call("cov_draw", c, lab.seed(1), 0, 2,
                                                np.zeros((2, 1, 32), "f4" if double else "f8")))
    raises(Exception, "contiguous", lambda: lab.call("cov_draw", c, lab.seed(1), 0, 2,
                                                     np.zeros((2, 1, 64), lab.real)[..., ::2]))
    raises(TypeError, "takes 5 arguments", lambda: lab.call("cov_draw", c))
    x = np.zeros((2, 1, 31))                          # sizes that the library does not see
    raises(ValueError, "(2, 1, 31) where functions [b, 1, 32]",
           lambda: lab.predict(good, p, x, 0.5))
    raises(ValueError, "(2, 1, 31)", lambda: lab.judge(s, x, np.ones(s.modes)))
    raises(ValueError, "1 boundaries for 2 axes", lambda: lab.grid(8, 8, boundary=[0]))
    raises(fd.Error, "cannot open", lambda: lab.network("/nowhere"))
    raises(fd.Error, "arena too small", lambda: fd.Lab(1 << 12, double, library).grid(1 << 16))
    arch = lab.fd_arch(kind=lab.FD_FNO_BLOCK, nd=1, out=1)          # structures in a structure
    setattr(arch, "in", 1)
    arch.fno.modes[0] = 6
    ok(lab.call("net_count", arch) > 1000, "weights counted")
    arch.vit.heads = 2
    raises(fd.Error, "FD_FNO_BLOCK does not use: vit.heads", lambda: lab.call("net_count", arch))
    x = lab.sample(p, good, 4)                        # and after all that the lab is as it was
    ok(np.isfinite(x).all(), "after errors")


def interrupted():
    """Ctrl-C while the library computes, not the model, ends the call, too."""
    s = lab.grid(512, 512)
    p = lab.call("vp", lab.call("cov_rbf", s, 1.0, 0.1), 0.1, 20.0)
    was = signal.signal(signal.SIGALRM, signal.default_int_handler)
    for i in range(5):
        count = [0]

        def soon(x, t):
            count[0] += 1
            if count[0] == 2:
                signal.setitimer(signal.ITIMER_REAL, 0.004)
            return x

        raises(KeyboardInterrupt, "",
               lambda: lab.sample(p, lab.model(soon, lab.FD_X0), 2, steps=200))
        ok(count[0] < 200, "asked to the end after Ctrl-C:", count[0])
    signal.signal(signal.SIGALRM, was)


def misuse():
    """What a user's function and a user's arrays may do wrong: an error each time, and after it the
    lab draws the same as before."""
    s = lab.grid(32)
    c = lab.call("cov_rbf", s, 1.0, 0.1)
    p = lab.call("vp", c, 0.1, 20.0)
    exact = lab.call("oracle_gauss", p, None, c)

    def draw(f, **how):
        return lab.sample(p, lab.model(f, lab.FD_X0), 2, steps=6, **how)

    before = draw(lambda x, t: 0.5 * x).tobytes()
    count = [0]

    def later(x, t):
        count[0] += 1
        if count[0] == 3:
            raise KeyError("in the middle")
        return x

    def key(x, t):                                    # Ctrl-C while the function runs
        count[0] += 1
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            time.sleep(0.01)

    raises(KeyError, "in the middle", lambda: draw(later))
    ok(count[0] == 3, "asked after it had failed:", count[0])
    count[0] = 0
    raises(KeyboardInterrupt, "", lambda: draw(key))
    ok(count[0] == 1, "asked after Ctrl-C:", count[0])
    interrupted()
    ok(draw(lambda x, t: 0.5 * x).tobytes() == before, "after Ctrl-C other functions are drawn")
    raises(ValueError, "gave () where (2, 1, 32)", lambda: draw(lambda x, t: None))
    raises(TypeError, "complex", lambda: draw(lambda x, t: x + 1j))
    raises(ValueError, "read-only", lambda: draw(lambda x, t: x.__imul__(2)))
    raises(fd.Error, "not finite", lambda: draw(lambda x, t: np.nan * x))
    raises(TypeError, "2 were given", lambda: draw(lambda x: x))
    raises(SystemExit, "3", lambda: draw(lambda x, t: sys.exit(3)))
    raises(RuntimeError, "in the middle of a call",
           lambda: draw(lambda x, t: lab.predict(exact, p, x, t)))
    for x in (np.float16, np.float64, lab.real.newbyteorder(), list):      # rounded, if need be
        y = draw(lambda z, t: (0.5 * z).tolist() if x is list else (0.5 * z).astype(x))
        ok(y.tobytes() == before or x is np.float16, "a model that gives", x)

    def call(x):
        return lambda: lab.call("cov_draw", c, lab.seed(1), 0, 2, x)

    other = np.zeros((2, 1, 32), lab.real.newbyteorder())
    raises(Exception, "where the library takes", call(other))
    had = len(lab.kept)
    with tempfile.TemporaryDirectory() as d:
        lab.call("npy_save", os.path.join(d, "x.npy"), 1, np.array([4], np.int32),
                 np.zeros(4, lab.real))
    ok(len(lab.kept) == had, "what was written to a file is kept")
    raises(Exception, "contiguous", call(np.zeros((32, 2), lab.real).T))
    raises(Exception, "read-only", call(np.frombuffer(bytes(64 * lab.real.itemsize), lab.real)))
    other = np.zeros((1, 32), np.float32 if double else np.float64)
    raises(TypeError, "mean: an array of",
           lambda: draw(lambda x, t: x, start=lab.FD_START_MATCHED, mean=other))
    raises(TypeError, "complex", lambda: lab.predict(exact, p, np.zeros((2, 1, 32), complex), 0.5))
    x = np.full((16, 1, 32), np.nan)
    raises(ValueError, "NaN", lambda: lab.judge(s, x, lab.spectrum(c)))
    raises(ValueError, "no variance",
           lambda: lab.judge(s, np.ones((16, 1, 32)), np.zeros(s.modes)))
    raises(ValueError, "NaN", lambda: lab.calibrate(x[:, 0, 0], x[:, 0]))

    # a second thread is told that the lab is taken, and the first one draws what it would
    said, entered = [], threading.Event()

    def slow(x, t):
        entered.set()
        time.sleep(0.05)
        return 0.5 * x

    def second():
        entered.wait()
        try:
            lab.noise(c, 2)
        except RuntimeError as e:
            said.append(str(e))

    thread = threading.Thread(target=second)
    thread.start()
    y = draw(slow)
    thread.join()
    ok(said and "another thread" in said[0], "a lab in two threads:", said)
    ok(y.tobytes() == before, "a second thread changed what was drawn")
    ok(draw(lambda x, t: 0.5 * x).tobytes() == before, "after misuse other functions are drawn")


def laws():
    s = lab.grid(64)
    c0, c = lab.call("cov_matern", s, 1.0, 0.3, 2.5), lab.call("cov_matern", s, 1.0, 0.1, 1.5)
    p = lab.call("vp", c, 0.1, 20.0)
    m = lab.call("oracle_gauss", p, None, c0)
    x = lab.sample(p, m, 512, seed=3, scheme="pf-heun")
    var = lab.spectrum(c0)
    ok(lab.judge(s, x, var)[0] > 1e-3, "exact samples are rejected:", lab.judge(s, x, var))
    ok(lab.judge(s, 1.1 * x, var)[0] < 1e-3, "10 % too large is not seen")
    ok(lab.judge(s, x + 0.3, var)[0] < 1e-3, "a wrong mean is not seen")
    wrong = lab.model(lambda x, t: x / x.shape[-1], lab.FD_X0)          # differs between grids
    change, _ = lab.certify(lambda s: (lab.call("vp", lab.call("cov_matern", s, 1., .1, 1.5),
                                                .1, 20.),
                                       wrong), b=8, scheme="pf-heun", steps=8)
    ok(change > 0.1, "a model that is another one on each grid is certified:", change)
    r = np.random.default_rng(1)
    ok(lab.calibrate(r.normal(size=500), r.normal(size=(500, 15))) > 1e-3, "ranks that are right")
    ok(lab.calibrate(r.normal(size=500), 0.6 * r.normal(size=(500, 15))) < 1e-3,
       "ranks that are not")


def memory():
    s = lab.grid(32)
    c = lab.call("cov_rbf", s, 1.0, 0.1)
    p = lab.call("vp", c, 0.1, 20.0)
    m = lab.model(lambda x, t: 0.5 * x, lab.FD_X0)
    x, net = lab.noise(c, 2), lab.network(os.environ["FD_MODEL"])
    square = lab.grid(16, 16, boundary=lab.FD_NEUMANN)
    z = np.zeros((1, 1, 16, 16), lab.real)

    def broken(x, t):
        raise ValueError

    def all_ways(i):                                  # errors, networks and plain calls, too
        lab.predict(m, p, x, 0.5)
        lab.call("cov_draw", c, lab.seed(i), 0, 2, np.empty((2, 1, 32), lab.real))
        if i % 10:
            return
        lab.sample(p, m, 2, steps=2)
        lab.gradient(net, square, z, 0.5, z)
        for f in (lambda: lab.predict(lab.model(broken, lab.FD_X0), p, x, 0.5),
                  lambda: lab.call("cov_rbf", s, -1.0, 0.1)):
            try:
                with lab.scope():
                    f()
            except (ValueError, fd.Error):
                pass

    for calls in (1000, 10000):                       # the first ones warm up
        at = lab.arena.beg, len(lab.kept)
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for i in range(calls):
            all_ways(i)
    ok((lab.arena.beg, len(lab.kept)) == at, "a call leaves memory behind")
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    ok(more < 4096, "10000 calls took", more, "kB")

    # two labs in two threads, each with a Python model
    out = [None, None]

    def work(i):
        one = fd.Lab(1 << 26, double, library)
        s = one.grid(32)
        p = one.call("vp", one.call("cov_rbf", s, 1.0, 0.1), 0.1, 20.0)
        out[i] = one.sample(p, one.model(lambda x, t: 0.5 * x, one.FD_X0), 8, steps=100)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    ok(out[0] is not None and out[1] is not None and out[0].tobytes() == out[1].tobytes(),
       "two threads")


def torch_network():
    """A network in PyTorch behind a function of x and t, and the same weights by fd convert: every
    scheme draws the same functions, to rounding."""
    try:
        import runpy
        import torch
    except ImportError:
        print("skipped: no python3-torch")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as d:
        sys.argv[1:2] = [d]
        with open(os.devnull, "w") as null:
            out, sys.stdout = sys.stdout, null
            their = runpy.run_path(os.path.join(HERE, "foreign.py"))
            sys.stdout = out
        w = their["fno_weights"](1, 8, [5], 3, 3, 1, 16)
        np.savez(d + "/w.npz", **w)
        subprocess.check_call([os.environ["FD"], "convert", d + "/w.npz",
                               "-o", d + "/w.safetensors"],
                              stdout=subprocess.DEVNULL)
        net = lab.network(d + "/w.safetensors")

    def says(x, t):
        return their["fno"](w, torch.tensor(x.astype("f8")), torch.tensor(t.copy()), 3, [5]).numpy()

    s = lab.grid(24)
    p = lab.call("vp", lab.call("cov_matern", s, 1.0, 0.2, 1.5), 0.1, 20.0)
    x, t = lab.noise(p.noise, 4), np.array([0.1, 0.3, 0.5, 0.9])
    scale = np.abs(says(x, t)).max()
    ok(np.abs(lab.forward(net, s, x, t) - says(x, t)).max() < 1e-4 * scale, "PyTorch's network")
    own, m = lab.call("net_model", net, lab.FD_NOISE), lab.model(says, lab.FD_NOISE)
    for name in lab.schemes:
        if name == "ancestral-optimal":
            continue                                  # asks for a variance
        q = lab.call("ve", p.noise, 0.01, 10.0) if name == "ve-predictor" else p
        how = dict(steps(q, name, 6))
        if name == "annealed":
            how.update(corrector=lab.FD_CORRECT_SCALED, cprm=0.1)
        x, y = (lab.sample(q, v, 4, **how) for v in (own, m))
        apart = np.abs(x - y).max() / np.abs(x).max()
        # steps of pf-adaptive depend on rounding
        most = 1e-3 if name == "pf-adaptive" or not double else 1e-9
        ok(apart < most, "PyTorch's network by", name, "is apart by", apart)


def julia():
    """examples/julia/fd.jl without a Julia: its structures and calls are those of fd.h, and the
    same calls, with the types that it names, give a function and a posterior mean."""
    with open(os.path.join(ROOT, "examples", "julia", "fd.jl")) as f:
        text = re.sub(r"#.*", "", f.read())
    types = {"Cint": ctypes.c_int, "UInt64": ctypes.c_uint64, "UInt32": ctypes.c_uint32,
             "Csize_t": ctypes.c_size_t, "Cptrdiff_t": ctypes.c_ssize_t, "Cvoid": None,
             "Cdouble": ctypes.c_double, "Cfloat": ctypes.c_float, "Cchar": ctypes.c_char}

    def of(name):
        several = re.fullmatch(r"NTuple\{(\d+),(.*)\}", name)
        if several:
            return of(several[2]) * int(several[1])
        return ctypes.c_void_p if re.match(r"(Ptr|Ref)\{", name) else types[name]

    for name, body in re.findall(r"struct (\w+)\s(.*?)\nend", text, re.S):
        fields = re.findall(r"(\w+)::([\w{},]+)", body)
        own = type(name, (ctypes.Structure,), {"_fields_": [(k, of(v)) for k, v in fields]})
        types[name], c = own, lab.h.types["fd_" + name.lower()]
        ok(ctypes.sizeof(own) == ctypes.sizeof(c) and len(own._fields_) == len(c._fields_),
           "fd.jl: another size:", name)
        for a, b in zip(own._fields_, c._fields_):
            p, q = getattr(own, a[0]), getattr(c, b[0])
            ok((p.offset, p.size) == (q.offset, q.size), "fd.jl:", name, a[0])
    ok(len(types) == 14, "fd.jl: structures")

    made = []
    nested = r"@ccall lib\.(\w+)\(((?:[^()]|\([^()]*\))*)\)::([\w{}]+)"
    for name, args, result in re.findall(nested, text):
        f = ctypes.CDLL(library)[lab.h.renamed.get(name, name)]
        f.argtypes = [of(a) for a in re.findall(r"::([\w{},]+?)(?=,\s|$)", args)]
        f.restype = of(result)
        want = getattr(lab.lib, name)
        sizes = [[ctypes.sizeof(t) if t else 0 for t in list(g.argtypes) + [g.restype]]
                 for g in (f, want)]
        ok(sizes[0] == sizes[1], "fd.jl: other arguments:", name)
        made.append((name, f))
    ok(len(made) == 9, "fd.jl: calls", len(made))
    if double:
        return
    call, keep = dict(made), ctypes.byref
    memory, status, n = np.zeros(1 << 24, np.uint8), np.zeros(512, np.uint8), 64
    x, at, y = np.zeros(n, "f4"), np.array([.1, .4, .8]), np.array([1, -.5, .3])
    arena = call["fd_arena_over"](memory.ctypes.data, memory.size, status.ctypes.data)
    one = (ctypes.c_int * 1)(1)
    s = call["fd_grid"](keep(arena), 1, (ctypes.c_int * 1)(n), None, one, 1)
    c = call["fd_cov_matern"](keep(arena), keep(s), 1, .3, 1.5)
    call["fd_cov_draw"](c, call["fd_seed"](1), 0, 1, x.ctypes.data, arena)
    o = call["fd_obs_points"](keep(arena), keep(s), 3, at.ctypes.data, None)
    call["fd_obs_noise"](keep(arena), keep(o), .1)
    post = call["fd_posterior_new"](keep(arena), None, c, keep(o), y.ctypes.data)
    why = ctypes.create_string_buffer(256)
    ok(call["fd_explain"](status.ctypes.data, why, 256) == 0, why.value)
    mean = types["Posterior"].from_address(post).mean
    mean = np.ctypeslib.as_array((ctypes.c_float * n).from_address(mean))
    K = lambda r: (1 + np.sqrt(3) * r / .3) * np.exp(-np.sqrt(3) * r / .3)
    p = (np.arange(n) + .5) / n                       # the kernel, and its images at the ends
    k = lambda u, v: sum(K(abs(u - v - 2 * m)) + K(abs(u + v - 2 * m)) for m in range(-4, 5))
    S = k(at[:, None], at[None]) + .01 * np.eye(3)
    exact = k(p[:, None], at[None]) @ np.linalg.solve(S, y)
    ok(np.abs(mean - exact).max() < .02, "fd.jl: the mean", np.abs(mean - exact).max())
    ok(.1 < x.std() < 3, "fd.jl: a function")


for test in (structures, callbacks, errors, misuse, laws, memory, julia, torch_network):
    test()
print("%d passed, %d failed" % tuple(counts))
sys.exit(counts[1] > 0)
