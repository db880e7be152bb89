"""loops.py: the group samplers of client.py: whole loops, written from the papers' lines.
Functions are rows of coefficients u = basis x/n. law(p, t) gives m, v and their derivatives, is_
says which fault is made."""
import numpy as np


class Loop:
    def __init__(self, p, a, law, is_):
        self.p, self.a, self.is_ = p, a, is_
        self.E, self.n = a["basis"], len(a["basis"])
        self.lam, self.c, self.M = a["lam"], a["c"], self.to(a["mean"]) if "mean" in a else 0
        self.noise, self.used, self.late = self.colour(a["z"]), 0, None
        self.at = lambda t: [float(x) for x in keepfloat(law, p, t)]

    def to(self, x): return x @ self.E.T / self.n
    def back(self, u): return u @ self.E

    def colour(self, z):
        lam, zk, nu = self.lam.copy(), z @ self.E.T / np.sqrt(self.n), self.p["nu"]
        if self.is_("white-noise"): return zk / np.sqrt(self.n)
        if self.is_("nyquist-kept") and self.n % 2 == 0:      # exp(-r/l) has 2 l/(1 + l^2 w^2)
            assert nu == .5
            lam[-1] = 2 * self.p["l"] / (1 + (np.pi * self.n * self.p["l"]) ** 2)
        return zk * np.sqrt(lam / (self.n if self.is_("no-grid-factor") else 1))

    def next(self):
        self.used += 1
        return self.noise[self.used - 1]

    def size(self, var):
        if self.is_("variance"): return var
        if self.is_("no-noise"): return 0
        return np.sqrt(var * (2 if self.is_("root-2") else .5 if self.is_("no-root-2") else 1))

    # ---- What the model says, told that x is at t

    def D(self, x, t):
        end = self.a["t"][-1]
        if self.is_("told-late"): t = self.late
        if self.is_("level-off"): t = max(t - 1, 0 if self.p["process"] == "ddpm" else 1)
        if self.is_("reversed-time"): t = self.a["t"][0] + end - t
        m, v = self.at(t)[:2]
        with np.errstate(all="ignore"):
            gain = np.where(self.c > 0, m * self.c / (m * m * self.c + v * self.lam), 0)
        d = self.M + gain * (x - m * self.M)
        return self.given(d, gain, m, v) if "index" in self.a and not self.is_("replaced") else d

    def given(self, d, gain, m, v):
        A = self.E[:, self.a["index"].astype(int)].T
        cov = gain * v * self.lam / m if m else self.c        # of x0 given x_t
        inner = v * self.lam if self.is_("prior-variance") else cov
        sd = self.p["sd"]
        noise = sd if self.is_("deviation") else 0 if self.is_("noise-ignored") else sd ** 2
        r = np.linalg.solve(A * inner @ A.T + noise * np.eye(len(A)), self.a["y"] - A @ d)
        if self.is_("no-covariance"):
            with np.errstate(all="ignore"):
                flat = np.where(self.lam > 0, cov / self.lam, 0)
            return d + flat * (A.T @ r) / self.n
        return d + (-1 if self.is_("sign") else 1) * cov * (A.T @ r)

    # ---- Steps

    def score(self, x, d, m, v):                              # C grad log p
        s = -(x - m * d) / v
        return s * np.sqrt(v) if self.is_("noise-as-score") else s

    def drift(self, x, t):                                    # dx/d(-t) of the flow
        m, v, dm, dv = self.at(t)
        d, B = self.D(x, t), np.sqrt(v)
        dB = dv / 2 / B
        f = -(dB / B * x + (dm - m * dB / B) * d)
        return -f if self.is_("other-direction") else f

    def euler(self, x, d, t, s, eta):                         # x - (f - (1 + eta^2)/2 g^2 S) h
        m, v, dm, dv = self.at(s if self.is_("coefficients-late") else t)
        f, g2, h = dm / m, dv - 2 * v * dm / m, t - s
        part = (1 + eta ** 2) / 2
        if self.is_("ode-for-sde"): part = .5
        if self.is_("sde-for-ode"): part = 1
        if self.is_("forward-drift"): f = -f
        return x - (f * x - part * g2 * self.score(x, d, m, v)) * h, eta ** 2 * g2 * h

    def one(self, x, t, s):
        """The mean and the variance, in units of lam, of a step of one evaluation."""
        name, eta, d = self.p["scheme"], self.p["eta"], self.D(x, t)
        if name in ("euler-maruyama", "pf-euler", "eta-euler"):
            return self.euler(x, d, t, s, {"euler-maruyama": 1, "pf-euler": 0}.get(name, eta))
        if self.is_("stride"): s = t - 1
        (m, v, dm, dv), (ms, vs, _, _) = self.at(t), self.at(s)
        k = m / ms
        forward = v - k * k * vs
        S = -(x - m * d) / v
        if name == "exponential": return x / k + 2 * (1 / k - 1) * S, forward / k ** 2
        if name == "semi-analytic":
            return (x + (t - s) * (dv - 2 * v * dm / m) * S) / k, forward / k ** 2
        if name == "ve-predictor": return x + (v - vs) * S, v - vs
        if name == "vp-predictor":
            beta = -2 * dm / m * (t - s)
            return (2 - np.sqrt(1 - beta)) * x + beta * S, beta
        if name == "ddim":
            var = eta ** 2 * vs / v * forward
            return ms * d + np.sqrt(vs - var) * (x - m * d) / np.sqrt(v), var
        if name == "pf-multistep":
            lam = lambda m, v: np.log(m / np.sqrt(v))
            h, use = lam(ms, vs) - lam(m, v), d
            if self.memory:
                r = 1 if self.is_("equal-steps") else (lam(m, v) - self.memory[0]) / h
                use = (1 + 1 / (2 * r)) * d - self.memory[1] / (2 * r)
            self.memory = (lam(m, v), d)
            return np.sqrt(vs / v) * x - ms * np.expm1(-h) * use, 0
        if vs > 0:                                            # Bayes: x_s given x_t and x0 = d
            var = 1 / (1 / vs + k * k / forward)
            mean = var * (ms * d / vs + k * x / forward)
        else: var, mean = 0, d
        if name == "ancestral-large" or self.is_("forward-variance"): noise = forward
        else: noise = var
        if self.is_("posterior-variance"): noise = var
        if name == "ancestral-optimal":
            with np.errstate(all="ignore"):
                spread = np.where(self.c > 0, self.c * v / (m * m * self.c + v * self.lam), 0)
            noise = noise + (ms * forward / v) ** 2 * spread
        return mean, noise

    def stages(self, x, t, s):
        name, h, f = self.p["scheme"], t - s, self.drift
        if name == "pf-adaptive":
            u = np.geomspace(t, s, 200)
            for u, w in zip(u, u[:-1] - u[1:]):
                k1 = f(x, u); k2 = f(x + w / 2 * k1, u - w / 2)
                k3 = f(x + w / 2 * k2, u - w / 2); k4 = f(x + w * k3, u - w)
                x = x + w / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return x
        if name == "stochastic-heun":
            def f(x, t):
                m, v, dm, dv = self.at(t)
                g2, d = dv - 2 * v * dm / m, self.D(x, t)
                y = -dm / m * x - g2 * (x - m * d) / v
                return -y if self.is_("other-direction") else y
            kick = self.size(2 * np.log(self.at(s)[0] / self.at(t)[0])) * self.next()
        else: kick = 0
        k1 = f(x, t)
        if name == "pf-euler" or self.is_("one-stage"): return x + h * k1 + kick
        if name == "pf-midpoint": return x + h * f(x + h / 2 * k1, t - h / 2)
        if name == "pf-rk4":
            k2 = f(x + h / 2 * k1, t - h / 2); k3 = f(x + h / 2 * k2, t - h / 2)
            return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(x + h * k3, s))
        return x + h / 2 * (k1 + f(x + h * k1 + kick, s)) + kick

    def predict(self, x, t, s, quiet):
        self.late = s
        p = self.p
        staged = p["scheme"] in ("pf-heun", "pf-midpoint", "pf-rk4", "pf-adaptive",
                                 "stochastic-heun")
        if staged or (p["scheme"] == "pf-euler" and p["process"] == "flow"):
            return self.stages(x, t, s)
        x, var = self.one(x, t, s)
        if not self.noisy: return x
        xi = self.next()
        if self.is_("last-noise") and s == self.a["t"][-1]:
            quiet = False
            (m, v), (ms, vs) = self.at(t)[:2], self.at(s)[:2]
            if np.max(var) <= 0: var = v - (m / ms) ** 2 * vs
        return x if quiet else x + self.size(var) * xi

    def correct(self, x, t, late, quiet):                     # x + eps S + sqrt(2 eps) z
        self.late = late
        p, (m, v) = self.p, self.at(t)[:2]
        xi, S = self.next(), self.score(x, self.D(x, t), m, v)
        if p["corrector"] == "snr" or (p["corrector"] == "snr-band" and self.is_("grid-norms")):
            eps = 2 * p["cprm"] ** 2 * (xi @ xi) / (S @ S)
        elif p["corrector"] == "snr-band":                    # e = -sqrt(v) S, on the low waves
            low = ((np.arange(self.n) + 1) // 2 <= p["band"]) * (self.lam > 0)
            trace = low @ self.lam
            eps = 2 * p["cprm"] ** 2 * v * (low @ xi ** 2 + trace) / (low @ S ** 2 * v + trace)
        elif p["corrector"] == "ladder":
            ratio = v / self.at(self.a["t"][-1])[1]
            eps = p["cprm"] * ratio ** (1 if self.is_("standard-rule") else 2) / 2
        else: eps = p["cprm"] * v / 2
        quiet = quiet and not self.is_("last-noise")
        step = eps / 2 if self.is_("half-drift") else eps
        return x + step * S + (0 if quiet else self.size(2 * eps) * xi)

    # ---- Loops

    def start(self):
        xi, v = self.next(), self.at(self.a["t"][0])[1]
        return xi if self.p["start"] == "unit" or self.is_("unit-start") else np.sqrt(v) * xi

    def annealed(self):
        t, inner = self.a["t"], int(self.p["inner"])
        path = [self.start()]
        for i, level in enumerate(t):
            x, last = path[-1], i + 1 == len(t)
            for j in range(inner):
                x = self.correct(x, level, t[min(i + 1, len(t) - 1)],
                                 last and self.p["quiet"] and j + 1 == inner)
            path.append(x)
        return path, path[-1]

    def sample(self):
        p, t = self.p, self.a["t"]
        if p["scheme"] == "annealed": return self.annealed()
        inner = int(p["inner"]) if p["corrector"] != "none" else 0
        moves = (len(self.noise) - 1) // (len(t) - 1)
        self.noisy, self.memory = moves > inner, None
        before = inner and (p["before"] or self.is_("corrector-first"))
        before = before and not self.is_("corrector-last")
        path = [self.start()]
        for i in range(len(t) - 1):
            x, s, last = path[-1], t[i + 1], i + 2 == len(t)
            churn, quiet = p["churn"], p["quiet"] and last
            for j in range(inner if before else 0): x = self.correct(x, t[i], s, False)
            after = inner and not before
            x = self.predict(x, t[i], s, quiet and not after and not churn)
            if churn:
                u = s + churn * (t[i] - s)
                (ms, vs), (mu, vu) = self.at(s)[:2], self.at(u)[:2]
                x = mu / ms * x + self.size(vu - (mu / ms) ** 2 * vs) * self.next()
                x = self.predict(x, u, s, quiet and not after)
            for j in range(inner if after else 0):
                x = self.correct(x, s, s, quiet and j + 1 == inner)
            if self.is_("replaced"):
                points = self.back(x)
                points[self.a["index"].astype(int)] = self.at(s)[0] * self.a["y"]
                x = self.to(points)
            path.append(x)
        end = p.get("tdenoise", t[-1])
        self.late = end
        done = p["denoise"] and not self.is_("no-final")
        return path, self.D(path[-1], end) if done else path[-1]

    def bridge(self):
        """Exact steps: the law of X_t given X_s, conditioned on the end by Bayes' rule."""
        t, a = self.a["t"], self.a["a"] * (0 if self.is_("brownian") else 1)
        end, path = self.to(self.a["end"]), [self.to(self.a["x0"])]
        g = lambda h: np.array([-np.expm1(-2 * b * h) / (2 * b) if b > 0 else h for b in a])
        for i in range(len(t) - 1):
            x, h, left, xi = path[-1], t[i + 1] - t[i], t[-1] - t[i + 1], self.next()
            k, free = np.exp(-a * left), g(h)
            total = k * k * free + g(left)                    # variance of the end given x
            mean = np.exp(-a * h) * x
            mean = mean + k * free / total * (end - k * mean)
            var = free if self.is_("forward-variance") else free * g(left) / total
            if self.is_("euler-drift"):
                K = np.exp(-a * (h + left))
                mean, var = x + h * (-a * x + K / g(h + left) * (end - K * x)), h
            path.append(mean + self.size(var) * xi)
        return path


def keepfloat(law, p, t):
    m, v, dm, dv = law(p, np.asarray(t, float))
    return m, v, 0 if dm is None else dm, 0 if dv is None else dv


def run(p, a, law, is_):
    loop = Loop(p, a, law, is_)
    with np.errstate(all="ignore"):
        if p["want"] == "bridge": return {"path": loop.back(np.array(loop.bridge()))}
        path, end = loop.sample()
    return {"path": loop.back(np.array(path)), "x0": loop.back(end)}
