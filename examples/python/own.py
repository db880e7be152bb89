"""own.py -- a diffusion model of one's own in NumPy, checked by the library.

    make build/libfd.so
    python3 examples/python/own.py

The model is the best linear denoiser for the spectrum that 4096 functions have. Is it one law on
every grid, is that the law of the data, and are its posteriors right? The same questions can be put
to a network in PyTorch or JAX: all that is asked of it is a function of x and t.
"""
import ctypes
import sys

import numpy as np

import fd

lab = fd.Lab()
STEPS, N, PAIRS = 40, 64, 4096


def law(s):
    """Data and noise on a space: Matern fields with length scales .3 and .1."""
    return (lab.call("cov_matern", s, 1.0, 0.3, 2.5), lab.call("cov_matern", s, 1.0, 0.1, 1.5))


# ---- 1. A model: D_k(x, t) = m c_k x_k / (m^2 c_k + v lam_k), with the variances c_k of data

s = lab.grid(N)
c0, c = law(s)
p = lab.call("vp", c, 0.1, 20.0)
waves = lab.waves(s)
data = lab.modes(s, lab.noise(c0, PAIRS, seed=7))[:, 0] ** 2
fit = np.array([data[:, waves == w].mean() for w in range(N // 2)])
lam = np.array([lab.spectrum(c)[waves == w].mean() for w in range(N // 2)])


def denoise(x, at):
    """x [b, 1, n] at times at [b] -> E[x0 | x]: plain NumPy, of any number of points."""
    u = np.fft.rfft(x, axis=-1)
    f = np.zeros((len(x), 1, u.shape[-1]))
    q = [lab.lib.fd_law(ctypes.byref(p), v, 0) for v in at]
    m, v = np.array([[i.m] for i in q]), np.array([[i.v] for i in q])
    f[:, 0, :N // 2] = m * fit / (m ** 2 * fit + v * lam)
    return np.fft.irfft(u * f, x.shape[-1], axis=-1)


def pull(x, at, dy):
    """(d denoise / dx)^T dy: the same map, since it is symmetric. For guidance."""
    return denoise(dy, at)


# ---- 2. Is it one law on every grid?

def make(space):
    q = lab.call("vp", law(space)[1], 0.1, 20.0)
    return q, lab.model(denoise, lab.FD_X0, pull)


settings = dict(scheme="pf-heun", steps=STEPS)
change, _ = lab.certify(make, sizes=(64, 128, 96), b=256, waves=6, **settings)
print("largest change of the power of a wave between 64, 128 and 96 points: %.2g" % change)

# ---- 3. Is it the law of the data? (of the waves that have variance to be seen)

m = lab.model(denoise, lab.FD_X0, pull)
x = lab.sample(p, m, 512, seed=3, **settings)
exact = lab.call("oracle_gauss", p, None, c0)
y = lab.sample(p, exact, 512, seed=3, **settings)
p_own, _ = lab.judge(s, x, lab.spectrum(c0))
p_exact, _ = lab.judge(s, y, lab.spectrum(c0))
print("p-value of its samples under the law of the data: %.3f (of the exact model: %.3f)"
      % (p_own, p_exact))

# ---- 4. Are its posteriors right? Ranks of truths among draws given three values

TRUTHS, DRAWS = 64, 15
o = lab.call("obs_points", s, 3, np.array([0.1, 0.4, 0.8]), None)
lab.call("obs_noise", o, 0.1)
truth, told, untold = lab.noise(c0, TRUTHS, seed=11), [], []
for i in range(TRUTHS):
    with lab.scope():
        y = np.empty((1, 3))
        lab.call("obs_draw", o, lab.seed(12), i, 1, truth[i:i + 1], y)
        given = lab.guided(p, m, o, y[0], lab.FD_GUIDE_EXACT)
        z = lab.sample(p, given, DRAWS, seed=100 + i, **settings)
        told.append(z[:, 0, N // 4])
        z = lab.sample(p, lab.guided(p, m, o, 0 * y[0], lab.FD_GUIDE_EXACT), DRAWS, seed=100 + i,
                       **settings)                    # told something else: must be seen
        untold.append(z[:, 0, N // 4])
p_told, p_untold = (lab.calibrate(truth[:, 0, N // 4], v) for v in (told, untold))
print("p-value of the ranks of a value at 1/4 given three others: %.3f (given others than these: "
      "%.1g)" % (p_told, p_untold))

good = change < 1e-3 < min(p_own, p_told) and p_untold < 1e-3
print("one law on every grid, of the data, with right posteriors" if good else "it has faults")
sys.exit(not good)
