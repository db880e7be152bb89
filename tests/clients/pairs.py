"""pairs.py: groups of client.py: interpolants, bridges, training, times, grids, guidance and
likelihoods, written from the papers' lines. Functions are rows of coefficients u = basis x/n; is_
says which fault is made."""
import numpy as np

pi = np.pi


class Line:
    """The line of points of a case, and its laws."""

    def __init__(self, p, a, is_):
        self.p, self.a, self.is_ = p, a, is_
        self.E, self.lam, self.c = a["basis"], a["lam"], a["c"]
        self.n = len(self.E)
        self.mean = self.to(a["mean"])

    def to(self, x): return x @ self.E.T / self.n
    def back(self, u): return u @ self.E

    def noise(self):
        """C^1/2 of the rows of white noise."""
        lam, z = self.lam.copy(), self.to(self.a["z"]) * np.sqrt(self.n)
        if self.is_("white-noise"): return z / np.sqrt(self.n)
        if self.is_("nyquist-kept") and self.n % 2 == 0:      # exp(-r/l) has 2 l/(1 + l^2 w^2)
            lam[-1] = 2 * self.p["l"] / (1 + (pi * self.n * self.p["l"]) ** 2)
        return z * np.sqrt(lam / (self.n if self.is_("no-grid-factor") else 1))

    def size(self, var):
        if self.is_("variance"): return var
        if self.is_("no-noise"): return 0 * var
        return np.sqrt(var * (2 if self.is_("root-2") else .5 if self.is_("no-root-2") else 1))


def over(x, y):
    """x/y, 0 where y is 0."""
    return np.divide(x, y, out=np.zeros(np.broadcast(x, y).shape), where=y != 0)


# ---- Interpolants: x = A x0 + B x1 + G z

def path(p, r, is_):
    """A, B, G at r, and their slopes."""
    g = p["g"]
    if p["path"] == "trigonometric":
        A, B, G = np.cos(pi * r / 2), np.sin(pi * r / 2), g * np.sqrt(r * (1 - r))
        dA, dB = -pi / 2 * B, pi / 2 * A
        dG = over(g * g * (1 - 2 * r), 2 * G)
    else:
        A, B, dA, dB = 1 - r, r, -1 + 0 * r, 1 + 0 * r
        G, dG = g * np.sin(pi * r) ** 2, 2 * g * pi * np.sin(pi * r) * np.cos(pi * r)
    if is_("ends-swapped"): A, B, dA, dB = B, A, dB, dA
    if is_("no-noise"): G, dG = 0 * G, 0 * G
    if is_("noise-slope"): dG = 0 * G
    if is_("variance"): G = G ** 2
    if is_("deviation"): G = np.sqrt(G)
    return A, B, G, dA, dB, dG


class Between(Line):
    def says(self, x, r):
        """E[dx/dr | x] and E[z | x]: means and covariances of a Gaussian vector."""
        A, B, G, dA, dB, dG = path(self.p, r, self.is_)
        c0, c1, m0, m1 = self.c, self.a["c1"], self.mean, self.to(self.a["mean1"])
        if self.is_("centred"): m0, m1 = 0 * m0, 0 * m1
        off = over(x - A * m0 - B * m1, A * A * c0 + B * B * c1 + G * G * self.lam)
        u = dA * (m0 + A * c0 * off) + dB * (m1 + B * c1 * off) + dG * G * self.lam * off
        e = G * self.lam * off
        return -u if self.is_("other-direction") else u, -e if self.is_("sign") else e

    def walk(self):
        r, c, xi, x = self.a["r"], self.p["c"], self.noise(), self.to(self.a["x"][0])
        out, part = [x], 0 if self.is_("no-score") else c
        area = lambda r: self.p["g"] * (r / 2 - np.sin(2 * pi * r) / 4 / pi)
        for i in range(len(r) - 1):
            h, way = abs(r[i + 1] - r[i]), np.sign(r[i + 1] - r[i])
            kick = self.size(2 * c * abs(area(r[i + 1]) - area(r[i]))) * xi[i]
            k = []
            for j in range(1 if self.is_("one-stage") else 2):
                u, e = self.says(x + kick + h * k[0] if j else x, r[i + j])
                k.append(way * u - part * e)
            x = x + h * np.mean(k, 0) + kick
            out.append(x)
        return self.back(np.array(out))


def interpolants(p, a, is_):
    if p["want"] == "draw":
        A, B, G, dA, dB, dG = path(p, a["r"][:, None], is_)
        u = dA * a["x0"] + dB * a["x1"] + dG * a["z"]
        return {"x": A * a["x0"] + B * a["x1"] + G * a["z"],
                "u": -u if is_("other-direction") else u}
    b = Between(p, a, is_)
    if p["want"] == "path": return {"path": b.walk()}
    u, e = b.says(b.to(a["x"]), a["r"][:, None])
    G = 1 if is_("noise-as-score") else path(p, a["r"][:, None], lambda *_: False)[2]
    return {"u": b.back(u), "e": b.back(e), "s": b.back(-e / G)}


# ---- Bridges of dX = -A X dt + dW

def free(a, h):
    """The variance of the process after h, over lam."""
    return np.where(a * h > 0, -np.expm1(-2 * a * h) / np.where(a > 0, 2 * a, 1), h)


def pair(b, p, a):
    decay = a["a"] * (0 if b.is_("brownian") else 1)
    x0, end, t = b.to(a["x0"]), b.to(a["end"]), a["t"][:, None]
    to, T = end, p["T"]
    if b.is_("ends-swapped"): x0, to = to, x0
    k = np.exp(-decay * (T - t))                              # X_T given X_t = x is k x + noise
    before, after = free(decay, t), free(decay, T - t)
    gain = before * k / (k * k * before + after)
    m = np.exp(-decay * t) * x0
    var = before if b.is_("forward-variance") else before * (1 - gain * k)
    x = m + gain * (to - k * m) + b.size(var) * b.noise()
    own = -decay * x
    y = own + k / after * (to - (1 if b.is_("no-decay") else k) * x)
    if b.is_("no-drift"): y = y - own
    if b.is_("linear-sign"): y = y - 2 * own
    return {"x": b.back(x), "y": b.back(y)}


def coupling(b, p, a):
    """Iterated proportional fitting of both variances, in each mode, of the joint precision."""
    decay = a["a"] * (0 if b.is_("brownian") else 1)
    s0, s1, T = a["s0"], a["s1"], p["T"]
    if b.is_("deviation"): s0, s1 = np.sqrt(s0), np.sqrt(s1)
    if b.is_("independent"): return {"cov": 0 * s0}
    if b.is_("transport"): return {"cov": s0 * s1}
    k, V = np.exp(-decay * T), b.lam * free(decay, T)
    cov = s0 * s1                                             # where V = 0: the limit
    for i in np.nonzero(V > 0)[0]:
        q = np.array([[k[i] ** 2, -k[i]], [-k[i], 1]]) / V[i] + np.eye(2)
        for step in range(200000):
            was = q.copy()
            for j, s in enumerate((s0[i], s1[i])):
                q[j, j] += 1 / s ** 2 - np.linalg.det(q) / q[1 - j, 1 - j]
            if np.abs(q - was).max() < 1e-13 * np.abs(q).max(): break
        cov[i] = np.linalg.inv(q)[0, 1]
    if b.is_("decayed"): cov = k * cov
    if b.is_("correlation"): cov = cov / s0 / s1
    return {"cov": cov}


def observed_end(b, p, a):
    decay = a["a"] * (0 if b.is_("brownian") else 1)
    left, sd, i = p["T"] - (0 if b.is_("from-start") else p["t"]), p["sd"], a["index"].astype(int)
    m, V = np.exp(-decay * left) * b.to(a["x"][0]), b.lam * free(decay, left)
    A = b.E[:, i].T
    noise = sd if b.is_("deviation") else 0 if b.is_("noise-ignored") else sd ** 2
    noise = noise * np.eye(len(i))
    r, S = a["y"] - A @ m, A * V @ A.T + noise
    z = np.linalg.solve(S, r)
    out = {"end": b.back(m + V * (A.T @ z))}
    if p["t"] > 0: return out
    cost = r @ z / 2
    if not b.is_("no-determinant"): cost += np.linalg.slogdet(S)[1] / 2 - len(i) * np.log(sd)
    if b.is_("with-constant"): cost += len(i) * (np.log(2 * pi) / 2 + np.log(sd))
    return {**out, "cost": np.array([cost])}


def weight(b, p, a):
    lam = b.lam if not b.is_("l2-norm") else 1 + 0 * b.lam
    d, dW = b.to(a["d"]), b.to(a["dW"])
    half = 0 if b.is_("no-correction") else 1 if b.is_("no-half") else -.5 if b.is_("sign") else .5
    return {"logz": over(d * dW, lam).sum(1) - half * p["h"] * over(d * d, lam).sum(1)}


def bridges(p, a, is_):
    return {"pair": pair, "coupling": coupling, "end": observed_end,
            "weight": weight}[p["want"]](Line(p, a, is_), p, a)


# ---- Training

def training(p, a, is_):
    m, v, dm, dv = (z[:, None] for z in a["law"].T)
    s, ds, want = np.sqrt(v), dv / 2 / np.sqrt(v), p["want"]
    if want == "pair":
        kind, x0, eps = p["predicts"], a["x0"], a["eps"]
        if is_("variance"): s = v
        if is_("no-root"): m = m ** 2
        if is_("swapped"): m, s = s, m
        y = {"x0": x0, "noise": eps, "score": -eps / s, "v": m * eps - s * x0,
             "velocity": -dm * x0 - (0 if is_("noise-slope") else ds) * eps}[kind]
        if is_("noise-as-score"): y = -eps
        return {"x": m * x0 + s * eps, "y": -y if is_("sign", "other-direction") else y}
    if want == "precondition":                                # [EDM table 1], sigma of x/m
        sd, sigma, x = p["sd"], s / m, a["x"] / (1 if is_("not-divided") else m)
        if is_("variance"): sigma = sigma ** 2
        if is_("data-variance"): sd = sd ** 2
        skip = (sigma if is_("skip-of-noise") else sd) ** 2 / (sigma ** 2 + sd ** 2)
        if is_("no-skip"): skip = 0 * skip
        c_in, out = 1 / np.sqrt(sigma ** 2 + sd ** 2), sigma * sd / np.sqrt(sigma ** 2 + sd ** 2)
        y = a["x0"] if is_("raw-target") else (a["x0"] - skip * x) / out
        weight = 1 + 0 * out if is_("no-weight") else (sigma ** 2 + sd ** 2) / (sigma * sd) ** 2
        return {"in": c_in * x, "y": y, "c": np.concatenate([skip, c_in, out, weight], 1)}
    if want == "weight":
        # by how much a prediction moves where x0 moves by 1 and x stays: eps moves by -m/s
        q = (dv - 2 * v * dm / m) ** (.5 if is_("root-rate") else 1)
        moves = {"x0": 1, "noise": m / s, "score": m / v, "v": s + m * m / s,
                 "velocity": dm - ds * m / s}
        moves["likelihood"] = np.sqrt(q / (1 if is_("no-half") else 2)) * m / v
        w = (moves[p["rule"]] / moves[p["predicts"]]) ** 2
        w = 1 / w if is_("inverse") else np.sqrt(w) if is_("root") else w
        return {"w": w[:, 0]}
    b = Line(p, a, is_)
    if want == "norm":
        r, norm, lam = b.to(a["r"][0]), p["norm"], b.lam
        inv = over(np.ones(b.n), np.sqrt(lam) if is_("deviation") else lam)
        if is_("l2-norm"): inv = 1. * (lam > 0)
        if is_("multiplied"): inv = lam
        q = (dv - 2 * v * dm / m) * (m / v) ** 2 * (1 if is_("no-half") else .5)
        w = {"h": 1, "cm": inv, "likelihood": q[0] * inv,
             "sobolev": (1 + a["mu"] / (4 * pi ** 2 if is_("no-2pi") else 1)) ** p["power"]}[norm]
        loss = (w * r * r).sum() * (b.n if is_("pixel-norm") else 1)
        return {"loss": np.array([np.sqrt(loss) if is_("root") else loss])}
    # the flow keeps a mode's place among its law's deviations
    mr, vr = a["law_r"].T[0][:, None], a["law_r"].T[1][:, None]
    x, P, Q = b.to(a["x"]), m * m * b.c + v * b.lam, mr * mr * b.c + vr * b.lam
    place = over(x - m * b.mean, np.sqrt(P))
    h = (a["t"] - a["r"])[:, None]
    u = (x - mr * b.mean - np.sqrt(Q) * place) / (1 if is_("displacement") else h)
    if is_("not-averaged"):
        u = dm * b.mean + over(2 * m * dm * b.c + dv * b.lam, 2 * np.sqrt(P)) * place
    return {"u": b.back(-u if is_("other-direction") else u)}


# ---- Times

def times(p, a, is_):
    if p["want"] == "levels": return levels(p, is_)
    n, hi, lo, rule = int(p["steps"]), p["tmax"], p["tmin"], p["rule"]
    u = np.arange(n + 1) / (n + 1 if is_("one-short") else n)
    if is_("upside-down"): u = u[::-1]
    if p["process"] == "ve":
        sigma = lambda t: p["smin"] * (p["smax"] / p["smin"]) ** t
        at = lambda s: np.log(s / p["smin"]) / np.log(p["smax"] / p["smin"])
    else:
        b, d = p["b0"], p["b1"] - p["b0"]
        sigma = lambda t: np.sqrt(np.expm1(b * t + d * t * t / 2))
        at = lambda s: (np.sqrt(b * b + 2 * d * np.log1p(s * s)) - b) / d
    if rule == "uniform": return {"t": hi + u * (lo - hi)}
    f = lambda t: t
    if not is_("in-time") and rule != "geometric": hi, lo, f = sigma(hi), sigma(lo), at
    if rule == "rho":
        rho = 1 if is_("no-rho") else 1 / p["rho"] if is_("inverse-rho") else p["rho"]
        return {"t": f((hi ** (1 / rho) + u * (lo ** (1 / rho) - hi ** (1 / rho))) ** rho)}
    if is_("log-variance"):
        vh, vl = hi ** 2 / (1 + hi ** 2), lo ** 2 / (1 + lo ** 2)
        v = vh * (vl / vh) ** u
        return {"t": f(np.sqrt(v / (1 - v)))}
    return {"t": f(hi * (lo / hi) ** u)}


def levels(p, is_):
    T, b1, bT, rule = int(p["T"]), p["b1"], p["bT"], p["rule"]
    u = np.arange(1, T + 1) / T if is_("one-short") else np.linspace(0, 1, T)
    if rule == "linear" or is_("plain-linear"): beta = b1 + u * (bT - b1)
    elif rule == "quadratic": beta = (b1 ** .5 + u * (bT ** .5 - b1 ** .5)) ** 2
    elif rule == "sigmoid": beta = b1 + (bT - b1) / (1 + np.exp(6 - 12 * u))
    else:
        s = 0 if is_("no-offset") else .008
        f = np.cos((np.arange(T + 1) / T + s) / (1 + s) * pi / 2) ** 2
        beta = 1 - f[1:] / f[:-1]
        if not is_("not-cut"): beta = np.minimum(beta, .999)
    gamma = np.cumprod(1 - beta)
    if is_("level-off"): gamma = np.concatenate([[1], gamma[:-1]])
    if is_("root"): gamma = np.sqrt(gamma)
    if is_("no-product"): gamma = 1 - beta
    return {"beta": beta, "gamma": gamma}


# ---- Grids

def basis_at(n, boundary, x):
    """The n functions of an axis at places x, by angles."""
    j, x = np.arange(n)[:, None], np.asarray(x)[None]
    if boundary == "periodic":
        w = (j + 1) // 2
        e = np.sqrt(2) * np.where(j % 2, np.cos(2 * pi * w * x), np.sin(2 * pi * w * x))
        e[0] = 1
        if n % 2 == 0: e[-1] = np.cos(pi * n * x)
        return e
    w = {"neumann": j, "dirichlet": j + 1, "mixed": j + .5}[boundary]
    e = np.sqrt(2) * (np.cos if boundary == "neumann" else np.sin)(pi * w * x)
    if boundary == "neumann": e[0] = 1
    return e


def points(n, boundary):
    i = np.arange(n)
    return {"periodic": i / n, "dirichlet": (i + 1) / (n + 1)}.get(boundary, (i + .5) / n)


def regrid(x, boundary, m, at, is_):
    """x [n][..] at the places `at`; m: those of a grid of m points, None: any."""
    n = len(x)
    h = n + 1 if boundary == "dirichlet" else n
    place = {"periodic": at * n, "dirichlet": at * h - 1}.get(boundary, at * n - .5)
    if is_("corners") and m: place = np.linspace(0, n - 1, m)
    if is_("linear", "corners"):
        if boundary == "periodic": x = np.concatenate([x, x[:1]])
        else: place = np.clip(place, 0, n - 1)
        j = np.minimum(np.floor(place).astype(int), len(x) - 2)
        w = (place - j).reshape([-1] + [1] * (x.ndim - 1))
        return (1 - w) * x[j] + w * x[j + 1]
    own = points(n, boundary)
    if is_("as-periodic"): own, at, how = np.arange(n) / n, place / n, "periodic"
    else: how = boundary
    keep = np.ones(n)
    if m: keep[m:] = 0
    nyquist = [n - 1] * (n % 2 == 0) + ([m - 1] if m and m % 2 == 0 and m <= n else [])
    if boundary == "periodic" and not is_("nyquist-kept"):
        for k in nyquist:
            keep[k] = 2 if is_("nyquist-twice") and m and m > n else 0
            if is_("nyquist-half") and m and k == m - 1 < n - 1: keep[k] = .5
    R = (basis_at(n, how, at).T * keep) @ basis_at(n, how, own) / h
    if is_("no-scale") and m: R = R * n / m
    return np.tensordot(R, x, 1)


def grids(p, a, is_):
    x = a["x"]
    if p["want"] == "places": return {"y": regrid(x, p["boundary"], None, a["at"], is_)}
    for i, m in enumerate(p["n"]):
        boundary = p["boundary1" if i else "boundary"]
        x = np.moveaxis(regrid(np.moveaxis(x, i, 0), boundary, m, points(m, boundary), is_), 0, i)
    return {"y": x}


# ---- Guidance

def guidance(p, a, is_):
    if p["want"] == "free":
        c, u, w = a["Dc"], a["Du"], p["scale"]
        if is_("models-swapped"): c, u = u, c
        if is_("added"): return {"D": c + w * u}
        return {"D": u + (w + is_("one-more")) * (c - u)}
    b = Line(p, a, is_)
    m, v, sd, i = p["m"], p["v"], p["sd"], a["index"].astype(int)
    A, x = b.E[:, i].T, b.to(a["x"][0])                       # values at the points, of modes
    noise = (sd if is_("deviation") else 0 if is_("noise-ignored") else sd ** 2) * np.eye(len(i))
    C = np.full(b.n, 1 / b.n) if is_("no-covariance") else b.lam
    if p["want"] == "project":
        r, e = a["y"] - a["e"] - A @ x, a["e"]
        if is_("replaced"):
            y = a["x"][0].copy(); y[i] += r
            return {"x": y, "e": e}
        z = np.linalg.solve(A * b.lam @ A.T + noise, r)
        return {"x": b.back(x + (-1 if is_("sign") else 1) * C * (A.T @ z)), "e": e + noise @ z}
    slope = over(m * b.c, m * m * b.c + v * b.lam)            # dD/dx
    D = b.mean + slope * (x - m * b.mean)
    if is_("no-jacobian"): slope = np.ones(b.n)
    r, rule = a["y"] - A @ D, p["want"]
    within = {"exact": v / m * slope, "pigdm": p["zeta"] * v, "dps": 0}[rule] * b.lam
    if is_("prior-variance") and rule == "exact": within = v * b.lam
    z = np.linalg.solve(A * within @ A.T + noise, r) * (p["zeta"] if rule == "dps" else 1)
    step = (1 if is_("no-level") else v / m) * C * slope * (A.T @ z)
    return {"D": b.back(D - step if is_("sign") else D + step)}


# ---- Likelihoods

def likelihoods(p, a, is_):
    b = Line(p, a, is_)
    on, x = b.lam > 0, b.to(a["x"])
    mean, var, grown, x = b.mean[on], b.c[on], 0, x[:, on]
    if p["want"] == "flow":                                   # Runge-Kutta in t, and the divergence
        c, lam, M = b.c[on], b.lam[on], b.mean[on]

        def law(t):
            B = p["b0"] * t + (p["b1"] - p["b0"]) * t * t / 2
            return np.exp(-B / 2), -np.expm1(-B), p["b0"] + (p["b1"] - p["b0"]) * t

        def f(x, t):
            m, v, beta = law(t)                               # -beta/2 (x - (x - m M)/var)
            return -beta / 2 * (x - lam * (x - m * M) / (m * m * c + v * lam)), \
                -beta / 2 * (1 - lam / (m * m * c + v * lam))

        times = np.linspace(p["s"], p["t"], 401)
        for t, h in zip(times, np.diff(times)):
            k1, g1 = f(x, t); k2, g2 = f(x + h / 2 * k1, t + h / 2)
            k3, _ = f(x + h / 2 * k2, t + h / 2); k4, g4 = f(x + h * k3, t + h)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            grown = grown + h / 6 * (g1 + 4 * g2 + g4).sum()
        m, v, _ = law(p["t"])
        mean, var = 0 * M, lam if is_("unit-start") else v * lam
        if is_("start-of-data"): mean, var = m * M, m * m * c + v * lam
        if is_("no-divergence"): grown = 0
        if is_("sign"): grown = -grown
    y = grown - ((x - mean) ** 2 / var / 2 + np.log(var) / (1 if is_("no-half") else 2)).sum(1)
    d = on.sum()
    if not is_("no-constant"): y = y - d / 2 * np.log(2 * pi)
    if is_("of-values"): y = y - d / 2 * np.log(b.n)
    return {"logp": y / np.log(2) if is_("bits") else y / d if is_("per-mode") else y}


groups = (interpolants, bridges, training, times, grids, guidance, likelihoods)
