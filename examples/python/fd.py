"""fd.py -- the library from Python: ctypes and numpy, nothing to compile but the library itself.

    make build/libfd.so                  (make V=double build/double/libfd-double.so: in double)

    import fd
    lab = fd.Lab()                            # a piece of memory in which everything is made
    s = lab.grid(64)                          # functions on [0, 1), periodic, 64 points
    c = lab.call("cov_matern", s, 1.0, 0.1, 1.5)
    p = lab.call("vp", c, 0.1, 20.0)
    m = lab.model(lambda x, t: -x, lab.FD_NOISE)       # your own: x [b, ch, n..], t [b]
    x = lab.sample(p, m, 16, steps=50, scheme="ddim")  # numpy, [16, ch, n..]

Every structure, constant and function of fd.h is here under its own name: lab.FD_DDIM,
lab.fd_sampler, lab.lib.fd_resample(..). They are read from fd.h itself when a Lab is made, so that
they cannot differ from it. lab.call(name, ..) puts in the arena, makes pointers of structures and
numpy arrays, and raises fd.Error, with the library's one line, where the library has recorded a
failure.

Arrays go in without a copy if they have the library's type (lab.real) and are contiguous. For
lab.call another type is an error; the methods (predict, forward, judge, ..) convert real numbers. A
lab does one thing at a time: another thread, or a model that calls the library itself, needs a lab
of its own, and is told so. The library does not hold Python's lock while it computes; a model that
is a Python function takes it for as long as it runs.
"""
import ctypes
import os
import re
import sys
import threading
from math import erfc, sqrt

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


class Error(Exception):
    """A failure that the library has recorded; .code is FD_ENOMEM, FD_EARG, .."""

    def __init__(self, code, line):
        Exception.__init__(self, line)
        self.code = code


def _normal(chi2, k):
    """A chi-squared number of k degrees as a nearly standard normal one: Wilson and Hilferty."""
    return ((chi2 / k) ** (1 / 3) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k))


def _real(x, what):
    """x as an array of real numbers, of any type."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError("%s of %s where real numbers are wanted" % (what, x.dtype))
    return x


def _find(what, places):
    for p in places:
        if p and os.path.exists(p):
            return p
    raise ImportError("fd.py: no %s in %s" % (what, ", ".join(p for p in places if p)))


# ---- fd.h, read ----------------------------------------------------------------------------------

class Pointer(ctypes.c_void_p):
    """Of numbers: a numpy array of their type, None, or an address."""
    dtype, written = None, False

    @classmethod
    def from_param(cls, x):
        if isinstance(x, np.ndarray):
            if cls.dtype is not None and x.dtype != cls.dtype:
                raise TypeError("an array of %s where the library takes %s" % (x.dtype, cls.dtype))
            if not x.flags.c_contiguous:
                raise TypeError("the array is not contiguous: numpy.ascontiguousarray makes a copy")
            if cls.written and not x.flags.writeable:
                raise TypeError("the array is read-only, and the library writes to it")
            return ctypes.c_void_p(x.ctypes.data)
        if x is None or isinstance(x, (int, ctypes.c_void_p)):
            return ctypes.c_void_p(x if not isinstance(x, ctypes.c_void_p) else x.value)
        return ctypes.cast(x, ctypes.c_void_p)


class Header:
    """The public part of fd.h, for a library in float or in double."""
    BASE = {"char": ctypes.c_char, "int": ctypes.c_int, "unsigned": ctypes.c_uint,
            "float": ctypes.c_float, "double": ctypes.c_double, "long long": ctypes.c_longlong,
            "size_t": ctypes.c_size_t, "ptrdiff_t": ctypes.c_ssize_t,
            "uint64_t": ctypes.c_uint64, "uint32_t": ctypes.c_uint32, "void": None}
    WORDS = {"struct", "const", "static", "inline", "restrict", "extern"}

    def __init__(self, path, double):
        self.real = np.dtype(np.float64 if double else np.float32)
        self.types = dict(self.BASE, fd_real=ctypes.c_double if double else ctypes.c_float)
        self.constants, self.functions, self.pointers = {}, {}, {}
        with open(path) as f:
            text = f.read()
        text = text[:text.index("#ifdef FD_IMPL")]
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        self.renamed = dict(re.findall(r"#define (fd_\w+) (fd_\w+_double)", text)) if double else {}
        text = re.sub(r"^[ \t]*#.*?(?<!\\)$", " ", text, flags=re.S | re.M)
        text = re.sub(r'extern "C" \{', " ", text)
        waiting = []
        for kind, words in self.split(text):
            if kind == "enum":
                self.enum(words)
            elif kind == "function":
                waiting.append(words)
            else:
                self.type(words)
        for words in waiting:
            self.function(words)

    @staticmethod
    def split(text):
        """Top-level declarations, without the bodies of inline functions."""
        depth = start = i = 0
        while i < len(text):
            c = text[i]
            depth += (c == "{") - (c == "}")
            if c == "}" and depth == 0 and re.match(r"\s*static", text[start:]):
                start = i + 1
            elif c == ";" and depth == 0:
                one = " ".join(text[start:i].split())
                start = i + 1
                if one.startswith("enum"):
                    yield "enum", one
                elif one.startswith("typedef") or one.startswith("struct") and "{" in one:
                    yield "type", one
                elif "(" in one and not one.startswith("static"):
                    yield "function", one
            i += 1

    def enum(self, text):
        value = -1
        for item in text[text.index("{") + 1:text.rindex("}")].split(","):
            if not item.strip():
                continue
            name, _, expr = (v.strip() for v in item.partition("="))
            value = eval(expr, {}, self.constants) if expr else value + 1
            self.constants[name] = value

    def record(self, name):
        """A structure by name, known from here on as fields may point to it."""
        if name not in self.types:
            self.types[name] = type(name, (ctypes.Structure,), {"__slots__": ()})
        return self.types[name]

    def type(self, text):
        body = re.match(r"(?:typedef )?struct (\w+ )?\{(.*)\} ?(\w*)$", text)
        if body:
            tag, fields, name = body.groups()
            tag, name = (tag or name).strip(), name or tag.strip()
            made = self.record(tag)
            self.types[name] = made
            made._fields_ = [f for one in self.fields(fields) for f in self.declare(one)]
            return
        alias = re.match(r"typedef (?:struct )?(\w+) (\w+)$", text)
        if alias:
            self.types.setdefault(alias.group(2), self.types.get(alias.group(1))
                                  or self.record(alias.group(1)))
            return
        made = re.match(r"typedef (.*?)\b(\w+)\((.*)\)$", text)        # of a function
        result, name, args = made.groups()
        self.types[name] = self.callback(result, args)

    @staticmethod
    def fields(text):
        depth, start = 0, 0
        for i, c in enumerate(text):
            depth += (c == "{") - (c == "}")
            if c == ";" and depth == 0:
                yield text[start:i].strip()
                start = i + 1

    def callback(self, result, args):
        return ctypes.CFUNCTYPE(self.one(result, "", True), *[self.one(a, "", True)
                                                           for a in self.arguments(args)])

    @staticmethod
    def arguments(text):
        depth, start, out = 0, 0, []
        for i, c in enumerate(text + ","):
            depth += (c == "(") - (c == ")")
            if c == "," and depth == 0:
                out.append(text[start:i].strip())
                start = i + 1
        return [] if out == ["void"] else out

    def declare(self, text):
        """The fields of one declaration: `int a, b[3]`, `const double *x`, a function."""
        f = re.match(r"(.*?)\(\*(\w+)\)\((.*)\)$", text)
        if f:
            return [(f.group(2), self.callback(f.group(1), f.group(3)))]
        base, rest = re.match(r"((?:(?:struct|const) )*(?:long long|\w+)) ?(.*)$",
                              text).groups()
        out = []
        for d in rest.split(","):
            name = re.search(r"\w+", re.sub(r"\bconst\b", "", d)).group()
            out.append((name, self.one(base + " " + d, name, False)))
        return out

    def one(self, text, name, argument):
        """The ctypes type of a declaration; arrays are pointers where it is of an argument."""
        f = re.match(r"(.*?)\(\*\w*\)\((.*)\)$", text)
        if f:
            return self.callback(*f.groups())
        dims = [eval(d, {}, self.constants) if d.strip() else 0
                for d in re.findall(r"\[([^]]*)\]", text)]
        plain = re.sub(r"\[[^]]*\]", "", text)
        stars = plain.count("*") + (len(dims) if argument else 0)
        words = [w for w in re.findall(r"\w+", plain) if w not in self.WORDS]
        base = " ".join(words[:2]) if words[:2] == ["long", "long"] else words[0]
        t = self.types[base] if base in self.types else self.record(base)
        if isinstance(t, type) and issubclass(t, ctypes._CFuncPtr):
            stars -= plain.count("*")                 # a pointer to a function is one already
        t = self.pointer(base, t, stars, argument, "const" in text) if stars else t
        for n in [] if argument else reversed(dims):
            t = t * n
        return t

    def pointer(self, base, t, stars, argument, const):
        if base == "char" and stars == 1:
            return ctypes.c_char_p if argument else ctypes.c_void_p
        if isinstance(t, type) and issubclass(t, ctypes.Structure) and stars == 1:
            return ctypes.POINTER(t)
        if stars > 1 or t is None or not argument:
            return ctypes.c_void_p
        if (base, const) not in self.pointers:        # of numbers
            self.pointers[base, const] = type(base + "_p", (Pointer,),
                                              {"dtype": np.dtype(t), "written": not const})
        return self.pointers[base, const]

    def function(self, text):
        m = re.match(r"(.*?)\b(fd_\w+) ?\((.*)\)$", text)
        if not m:
            return                                    # not of the library: a sanitizer's
        result, name, args = m.groups()
        self.functions[name] = (self.one(result, "", True) if result.strip() != "void" else None,
                                [self.one(a, "", True) for a in self.arguments(args)])


# ---- A lab ---------------------------------------------------------------------------------------

class Lab:
    """The library and memory for what is made with it: so many bytes, touched as they are used."""

    def __init__(self, memory=1 << 30, double=False, library=None, header=None):
        name = "libfd-double.so" if double else "libfd.so"
        root = os.path.join(HERE, "..", "..")
        header = _find("fd.h", [header, os.environ.get("FD_HEADER"), os.path.join(root, "fd.h"),
                                "/usr/local/include/fd.h", "/usr/include/fd.h"])
        library = _find(name, [library, os.environ.get("FD_LIBRARY"),
                               os.path.join(root, "build", "double" if double else "", name),
                               "/usr/local/lib/" + name, "/usr/lib/" + name])
        self.h = Header(header, double)
        self.real = self.h.real
        self.lib = ctypes.CDLL(library)
        if not hasattr(self.lib, self.h.renamed.get("fd_arena_over", "fd_arena_over")):
            raise ImportError("%s: the library is not in %s" % (library, self.real))
        for f, (result, args) in self.h.functions.items():
            if not hasattr(self.lib, self.h.renamed.get(f, f)):
                continue                              # inline in the header
            entry = self.lib[self.h.renamed.get(f, f)]
            entry.restype, entry.argtypes = result, args
            setattr(self.lib, f, entry)
        for f, t in self.h.types.items():
            if isinstance(t, type) and f.startswith("fd_"):
                setattr(self, f, t)
        self.__dict__.update(self.h.constants)
        self.room = np.empty(memory, np.uint8)
        self.status = self.fd_status()
        self.arena = self.lib.fd_arena_over(self.room.ctypes.data, memory,
                                            ctypes.byref(self.status))
        self.kept, self.raised = [], None
        self.mine, self.inside = threading.RLock(), False
        self.schemes = {}
        while self.lib.fd_scheme_name(len(self.schemes)):
            self.schemes[self.lib.fd_scheme_name(len(self.schemes)).decode()] = len(self.schemes)

    def check(self):
        """Raise what has failed, and forget it: the lab can be used again."""
        raised, self.raised = self.raised, None
        line = ctypes.create_string_buffer(512)
        code = self.lib.fd_explain(ctypes.byref(self.status), line, 512)
        self.status.code = 0
        if raised is not None:
            raise raised
        if code:
            raise Error(code, line.value.decode(errors="replace"))

    def keep(self, *what):
        """Things that the library keeps by pointer live as long as the lab."""
        self.kept.extend(what)
        return what[0] if len(what) == 1 else what

    def call(self, name, *args):
        """fd_NAME(args) with the arena where the function takes one: scratch is given back."""
        f = getattr(self.lib, "fd_" + name)
        types, given = f.argtypes, list(args)
        status = ctypes.POINTER(self.fd_status)
        for i, t in enumerate(types):
            if t is ctypes.POINTER(self.fd_arena):
                given.insert(i, ctypes.byref(self.arena))
            elif t is self.fd_arena:
                given.insert(i, self.arena)
            elif t is status:
                given.insert(i, ctypes.byref(self.status))
        if len(given) != len(types):
            raise TypeError("fd_%s takes %d arguments besides arena and status, not %d"
                            % (name, len(types) - (len(given) - len(args)), len(args)))
        for i, t in enumerate(types):
            if isinstance(given[i], ctypes.Structure) and t is not type(given[i]):
                given[i] = ctypes.byref(given[i])
            elif isinstance(given[i], str):
                given[i] = given[i].encode()
        with self.alone():
            if self.inside:
                raise RuntimeError("this lab is in the middle of a call: a model that calls the "
                                   "library needs a lab of its own")
            # what only computes or writes a file keeps nothing
            if ctypes.POINTER(self.fd_arena) in types \
                    or f.restype not in (None, ctypes.c_int, ctypes.c_double):
                self.keep(given)
            self.inside = True
            try:
                with self._Signals(self):
                    y = f(*given)
            finally:
                self.inside = False
                self.check()
        return y

    class _Signals:
        """Ctrl-C while the library computes is seen at the first line of the next model, where no
        `try` can be yet: ctypes would print it and go on."""

        def __init__(self, lab):
            self.lab, self.main = lab, threading.main_thread()

        def lost(self, what):
            if threading.current_thread() is self.main and "ctypes callback" in (what.err_msg
                                                                               or ""):
                self.lab.raised = what.exc_value
            else:
                self.hook(what)

        def __enter__(self):
            if threading.current_thread() is self.main:
                self.hook, sys.unraisablehook = sys.unraisablehook, self.lost

        def __exit__(self, *_):
            if threading.current_thread() is self.main:
                sys.unraisablehook = self.hook

    def alone(self):
        """with lab.alone(): the lab is this thread's."""
        return Lab._Alone(self)

    class _Alone:
        def __init__(self, lab):
            self.lab = lab

        def __enter__(self):
            if not self.lab.mine.acquire(blocking=False):
                raise RuntimeError("this lab is in use by another thread, which needs one of its "
                                   "own")

        def __exit__(self, *_):
            self.lab.mine.release()

    class _Mark:
        def __init__(self, lab):
            self.lab = lab

        def __enter__(self):
            self.mine = self.lab.alone()
            self.mine.__enter__()
            self.beg, self.had = self.lab.arena.beg, len(self.lab.kept)
            return self.lab

        def __exit__(self, *_):
            self.lab.arena.beg = self.beg
            del self.lab.kept[self.had:]
            self.mine.__exit__()

    def scope(self):
        """with lab.scope(): what is made inside is given back at the end of it."""
        return Lab._Mark(self)

    # ---- Spaces, functions, streams

    def grid(self, *n, length=None, boundary=None, channels=1):
        """A space; boundary: FD_PERIODIC, .., one for all axes or one for each."""
        boundary = [boundary or 0] * len(n) if np.ndim(boundary) == 0 else boundary
        if len(boundary) != len(n):
            raise ValueError("%d boundaries for %d axes" % (len(boundary), len(n)))
        length = None if length is None else np.broadcast_to(np.float64(length), len(n)).copy()
        return self.call("grid", len(n), np.array(n, np.int32), length,
                         np.array(boundary, np.int32), channels)

    def shape(self, s, b):
        return (b, s.ch) + (tuple(s.n[:s.nd]) if s.nd else (s.points,))

    def functions(self, s, b):
        return np.empty(self.shape(s, b), self.real)

    def given(self, s, x, channels=None):
        """x as functions on s, in the library's type: it sees an address only, and no size."""
        x = np.ascontiguousarray(_real(x, "functions"), self.real)
        each = x.size // len(x) if x.ndim > 1 and len(x) else 0
        if not each or each % s.points or channels not in (None, each // s.points):
            raise ValueError("an array of %s where functions [b, %s, %s] are wanted"
                             % (x.shape, channels or "ch",
                                ", ".join(map(str, self.shape(s, 1)[2:]))))
        return x

    def array(self, address, shape, dtype=np.float64):
        """What the library has at an address, without a copy: valid as long as it is there."""
        kind = ctypes.POINTER(np.ctypeslib.as_ctypes_type(np.dtype(dtype)))
        return np.ctypeslib.as_array(ctypes.cast(address, kind), shape)

    def spectrum(self, c):
        """The eigenvalues of a covariance, by modes, as a copy."""
        c = c.contents if hasattr(c, "contents") else c
        return self.array(c.lam, (c.s.modes,)).copy()

    def modes(self, s, x):
        """The coefficients of x [b, ch, n..], in double: [b, ch, modes]."""
        u = np.empty((len(x), s.ch, s.modes), self.real)
        with self.scope():
            self.call("to_modes", s, len(x), self.given(s, x, s.ch), u)
        return u.astype(float)

    def waves(self, s):
        """The wave number of each mode, to the nearest whole number."""
        wave = [self.lib.fd_wave(ctypes.byref(s), k, None) for k in range(s.modes)]
        return np.floor(np.array(wave) + 0.5)

    def seed(self, seed):
        return self.lib.fd_seed(seed)

    def noise(self, c, b, seed=1, first=0):
        """b functions of the law N(0, C)."""
        c = c.contents if hasattr(c, "contents") else c
        x = self.functions(c.s, b)
        with self.scope():
            self.call("cov_draw", ctypes.pointer(c), self.seed(seed), first, b, x)
        return x

    # ---- Models

    def model(self, f, predicts, vjp=None):
        """fd_model of a Python function: f(x, t) -> y, x and y [b, ch, n..], t [b]; x and t are the
        library's own memory, to be read during the call. vjp(x, t, dy) -> dx makes guidance
        possible."""
        def array(s, b, p):
            return self.array(p, self.shape(s.contents, b), self.real)

        def read(x):
            x.flags.writeable = False                 # the state of a sampler
            return x

        def run(g, s, b, ins, t, out):
            y = None
            try:
                y = array(s, b, out)
                if self.raised is not None:           # the library goes on to the end of its loop
                    raise self.raised
                got = g(read(array(s, b, ins[0])), read(self.array(t, (b,))),
                        *[read(array(s, b, v)) for v in ins[1:]])
                if np.shape(got) != y.shape:
                    raise ValueError("the model gave %s where %s is wanted"
                                     % (np.shape(got), y.shape))
                y[...] = _real(got, "the model gave an array")
            except BaseException as e:
                self.raised = e
                y = array(s, b, out) if y is None else y
                y[...] = np.nan

        m = self.fd_model(predicts=predicts)
        types = dict(self.fd_model._fields_)
        m.eval = self.keep(types["eval"](lambda _, s, b, x, t, y, a: run(f, s, b, [x], t, y)))
        if vjp:
            m.vjp = self.keep(types["vjp"](lambda _, s, b, x, t, dy, dx, a:
                                           run(vjp, s, b, [x, dy], t, dx)))
        return m

    def predict(self, m, p, x, t, want=None):
        """What a model says of x [b, ch, n..] at t [b], as x0 or another kind."""
        s = p.noise.contents.s
        x, y = self.given(s, x, s.ch), np.empty(np.shape(x), self.real)
        t = np.broadcast_to(np.float64(t), len(x)).copy()
        with self.scope():
            self.call("predict", m, self.FD_X0 if want is None else want, p, len(x), x, t, y)
        return y

    # ---- Networks

    def network(self, path):
        """A network from a file that fd_net_save, fd train or fd convert has written."""
        net = ctypes.POINTER(self.fd_net)()
        self.call("net_load", path, ctypes.byref(net), None)
        return net

    def _says(self, tape, net, s, x, t):
        x = self.keep(self.given(s, x))
        t = self.keep(np.broadcast_to(np.float64(t), len(x)).copy())
        n = np.array([len(x), x.size // len(x) // s.points, s.points], np.int32)
        return self.call("forward", net, tape, s, self.call("input", tape, 3, n, x), t)

    def forward(self, net, s, x, t):
        """What a network says of x [b, ch, n..] on the space s, at times t."""
        with self.scope():
            tape = self.call("tape_begin", self.FD_EVAL)
            y = self._says(tape, net, s, x, t).contents
            shape = (len(x), net.contents.arch.out) + self.shape(s, 1)[2:]
            return self.array(y.x, shape, self.real).copy()

    def gradient(self, net, s, x, t, y):
        """fd_mse_loss of a network against y, and its gradient for all weights, by their order."""
        with self.scope():
            tape = self.call("tape_begin", self.FD_GRAD)
            y = self.keep(self.given(s, y, net.contents.arch.out))
            if len(y) != len(x):
                raise ValueError("%d functions, and %d to compare with" % (len(x), len(y)))
            loss = self.call("mse_loss", tape, s, self._says(tape, net, s, x, t), y, None)
            g = self.array(net.contents.g, (net.contents.count,), self.real)
            g[:] = 0
            self.call("backward", tape, loss)
            return float(self.array(loss.contents.x, (1,), self.real)[0]), g.copy()

    # ---- Samples

    def times(self, p, steps, rule=None, prm=0.0):
        t = np.empty(steps + 1)
        self.call("times", p, self.FD_LOGSNR if rule is None else rule, prm, steps, t)
        return t

    def sampler(self, p, m, steps=50, scheme="ddim", times=None, **more):
        """fd_sampler; more: its fields by name (eta, denoise, corrector, cprm, ..)."""
        t = self.keep(self.times(p, steps) if times is None else np.float64(times).copy())
        if scheme not in self.schemes:
            raise Error(self.FD_EARG, "no scheme '%s': %s" % (scheme, ", ".join(self.schemes)))
        how = self.fd_sampler(p=ctypes.pointer(p), model=m, t=t.ctypes.data, steps=len(t) - 1,
                              scheme=self.schemes[scheme], denoise=1)
        for name, v in more.items():
            if isinstance(v, np.ndarray):
                kind = self.real if name == "mean" else np.dtype(np.intc)
                if v.dtype != kind or not v.flags.c_contiguous:
                    raise TypeError("%s: an array of %s where the library takes contiguous %s"
                                    % (name, v.dtype, kind))
                v = v.ctypes.data
            setattr(how, name, v)
        self.keep(p, m, more)
        return how

    def sample(self, p, m, b, seed=1, first=0, **how):
        """b functions, first .. first + b - 1 of the seed, by the sampler of these settings."""
        with self.scope():
            x = self.functions(p.noise.contents.s, b)
            self.call("sample", self.sampler(p, m, **how), self.seed(seed), first, b, x)
        return x

    def guided(self, p, m, o, y, rule=None, zeta=0.0):
        """The model told of observations y = F(x) + noise: fd_guided, a rule FD_GUIDE_.. ."""
        y = self.keep(np.ascontiguousarray(y, np.float64))
        g = self.fd_guide(p=ctypes.pointer(p), model=m, o=ctypes.pointer(o), y=y.ctypes.data,
                          rule=self.FD_GUIDE_EXACT if rule is None else rule, zeta=zeta)
        self.keep(p, m, o, g)
        return self.call("guided", g)

    # ---- Verdicts

    def judge(self, s, x, var, mean=None, waves=8):
        """Are x [b, ch, n..] of the law N(mean, diag var [modes]) in the modes of s? p-values by
        bands of waves and of the mean, and the least of them times their number."""
        u, wave = self.modes(s, x if mean is None else x - mean), self.waves(s)
        if not np.isfinite(u).all():
            raise ValueError("the functions hold NaN or infinity")
        p = {}
        for w in range(waves):
            band = (wave == w) & (np.asarray(var) > 0)
            if not band.any():
                continue
            v = u[:, :, band] ** 2 / np.asarray(var)[band]
            n = v.size                                # a sum of n squares
            q = _normal(v.sum(), n)
            m = (u[:, :, band] / np.sqrt(np.asarray(var)[band])).sum() / sqrt(n)
            p["power %d" % w], p["mean %d" % w] = erfc(abs(q) / sqrt(2)), erfc(abs(m) / sqrt(2))
        if not p:
            raise ValueError("the law has no variance in the waves below %d" % waves)
        return min(1.0, min(p.values()) * len(p)), p

    @staticmethod
    def calibrate(truth, draws):
        """Ranks of truths [N] among draws [N, L] of their posteriors are uniform if these are
        right: the p-value of chi-squared over bins of ranks."""
        n, many = np.shape(draws)
        if not (np.isfinite(truth).all() and np.isfinite(draws).all()):
            raise ValueError("the truths or the draws hold NaN or infinity")
        bins = min(8, many + 1)
        ranks = (np.asarray(draws) < np.asarray(truth)[:, None]).sum(1)
        # ranks 0 .. L fall into bins of nearly equal numbers of them
        of = np.arange(many + 1) * bins // (many + 1)
        expect = np.bincount(of, minlength=bins) * n / (many + 1)
        chi2 = ((np.bincount(of[ranks], minlength=bins) - expect) ** 2 / expect).sum()
        return 0.5 * erfc(_normal(chi2, bins - 1) / sqrt(2))

    def certify(self, make, sizes=(32, 64, 96), b=64, waves=4, **how):
        """One sampler on several grids: make(s) -> process, model. The largest relative change of
        the variance of a wave between grids, of the same functions (one seed), and the samples."""
        power, xs = [], []
        for n in sizes:
            with self.scope():
                s = self.grid(*([n] if np.ndim(n) == 0 else n))
                p, m = make(s)
                x = self.sample(p, m, b, **how)
                u, wave = self.modes(s, x), self.waves(s)
                power.append([float((u[:, :, wave == w] ** 2).sum() / b) for w in range(waves)])
                xs.append(x)
        power = np.array(power)
        return float(np.abs(power / power[0] - 1).max()), xs
