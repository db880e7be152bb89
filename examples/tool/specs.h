/* specs.h -- specs `name:key=value,key=value`, read and explained (`fd help cov`) by the same
 * tables.
 *
 * Each topic is a table of names, each with its keys. A key whose default has bars is a choice, the
 * first one being the default; any other is a number within [lo, hi]. */
#ifndef SPECS_H
#define SPECS_H
#include "messages.h"

enum { KEYS = 24, ROWS = 28 };
typedef struct { const char *name, *def, *help; double lo, hi; } key;
typedef struct { const char *name, *help; key keys[KEYS]; } row;
typedef struct { const char *name, *what; row rows[ROWS]; } topic;
typedef struct { const topic *t; int row; double v[KEYS]; } spec;       /* choices: their index */

#define BIG 1e12
#define REF { "ref", "0", "points of the grid meant; 0: of any grid: no law on functions", 0, 1e9 }
#define PIXEL { "unit", "domain|pixel", "of kappa; pixel, as released: a law for each grid", 0, 0 }
#define IMAGES { "norm", "pixel|image", "var of a pixel; of the kernel without its images", 0, 0 }
#define TMIN { "tmin", "0", "time at which samplers end; 0: the process's own", 0, BIG }

static topic t_cov = { "cov", "covariance of the noise, in units of the data as normalised", {
    { "white", "s^2 on all modes up to kmax waves", {
        { "s", "1", "standard deviation of a mode", 0, BIG },
        { "kmax", "0", "0: all; then not a law on function space", 0, 1e6 } } },
    { "band", "white on all modes of the grid of training and on no others", {
        { "var", "1", "pixel variance", 0, BIG } } },
    { "rbf", "kernel var exp(-r^2/2l^2)", {
        { "l", "0.1", "length", 1e-9, BIG }, { "var", "1", "pixel variance", 0, BIG }, IMAGES } },
    { "matern", "Matern kernel", {
        { "nu", "1.5", "smoothness", 1e-3, 100 }, { "l", "0.1", "length", 1e-9, BIG },
        { "var", "1", "pixel variance", 0, BIG }, IMAGES } },
    { "exp", "kernel var exp(-r/l)", {
        { "l", "0.1", "length", 1e-9, BIG }, { "var", "1", "pixel variance", 0, BIG }, IMAGES } },
    { "power", "s (w^2 + tau^2)^-alpha", {
        { "s", "1", "scale", 0, BIG }, { "tau", "7", "inverse length", 0, BIG },
        { "alpha", "2", "decay", 0, 100 },
        { "var", "0", "set s for this pixel variance", 0, BIG } } },
    { "bessel", "s (c + w^2)^-gamma", {
        { "s", "1", "scale", 0, BIG }, { "c", "50", "inverse length squared", 0, BIG },
        { "gamma", "2", "decay", 0, 100 },
        { "var", "0", "set s for this pixel variance", 0, BIG } } },
    { "bridge", "Brownian bridge (sheet); --boundary dirichlet", { { "var", "1", "", 0, BIG } } },
    { "brownian", "Brownian motion (sheet); --boundary mixed", { { "var", "1", "", 0, BIG } } },
    { "empirical", "the data's own spectrum", {
        { "floor", "1e-4", "least eigenvalue over the largest", 0, 1 } } },
    { "pixel-white", "iid noise at each pixel: s^2 / points", {
        { "s", "1", "standard deviation of a pixel", 0, BIG }, REF } },
    { "ortho-power", "rho_k / points, rho_k = s (k^2 + tau^2)^-alpha, k in waves", {
        { "s", "1", "scale", 0, BIG }, { "tau", "1", "waves", 1e-9, BIG },
        { "alpha", "1", "decay", 0, 100 }, REF } },
    { "ortho-fdp", "r_k / points, r_k as released with FDP", {
        { "energy", "1", "64 for large images", 1e-9, BIG }, REF } },
    { "ortho-hdm", "2 A^-index / points, A = c + (pi k/N)^2, as released with HDM", {
        { "index", "1", "decay", 0, 100 }, { "c", "1", "", 1e-9, BIG }, REF } } } };

static topic t_process = { "process", "forward process", {
    { "vp", "variance preserving, linear", {
        { "b0", "0.1", "rate at t = 0", 0, BIG }, { "b1", "20", "rate at t = 1", 0, BIG }, TMIN } },
    { "vp-cosine", "variance preserving, cosine", { TMIN } },
    { "subvp", "sub-VP", {
        { "b0", "0.1", "rate at t = 0", 0, BIG }, { "b1", "20", "rate at t = 1", 0, BIG }, TMIN } },
    { "ve", "variance exploding", {
        { "smin", "0.01", "noise at t = 0", 1e-9, BIG },
        { "smax", "50", "noise at t = 1", 1e-9, BIG }, TMIN } },
    { "ou", "Ornstein-Uhlenbeck", { { "tmax", "10", "last time", 1e-9, BIG }, TMIN } },
    { "driftless", "Brownian motion from the data", {
        { "tmax", "1", "last time", 1e-9, BIG }, TMIN } },
    { "flow", "flow matching", { { "smin", "1e-4", "noise left at t = 0", 0, 1 }, TMIN } },
    { "ddpm", "discrete steps", {
        { "T", "1000", "how many", 1, 1e6 }, { "b1", "1e-4", "first rate", 0, 1 },
        { "bT", "0.02", "last rate", 0, 1 },
        { "betas", "linear|quadratic|sigmoid|cosine", "cosine has no b1, bT", 0, 0 } } },
    { "flow-vp", "variance preserving flow path", {
        { "s", "0.08", "offset; 0: from data to noise exactly", 0, BIG }, TMIN } },
    { "ladder", "noise levels, geometric in the variance", {
        { "v1", "0.01", "variance of level 1", 1e-9, BIG },
        { "vT", "30", "of level T", 1e-9, BIG }, { "T", "500", "levels", 2, 1e6 } } },
    { "fdp", "rates that depend on the mode, as released with FDP", {
        { "b0", "0.1", "rate at t = 0", 0, BIG },
        { "b1", "5", "rate at t = 1", 1e-9, BIG }, TMIN } },
    { "heat", "dX = -A X dt + sqrt(C) dW, A = c - kappa Laplacian", {
        { "c", "1", "rate of the constant mode", 0, BIG },
        { "kappa", "0.001", "diffusivity", 0, BIG }, PIXEL,
        { "tmax", "3", "last time", 1e-9, BIG }, TMIN } },
    { "heat-cosine", "the same by the clock of vp-cosine", {
        { "c", "1", "rate of the constant mode", 0, BIG },
        { "kappa", "0.001", "diffusivity", 0, BIG }, PIXEL, TMIN } },
    { "blur", "a growing Gaussian blur of flow-vp:s=0, log(m^2/v) in [-10,10]", {
        { "w0", "0.015915494309189534", "width at the data; > 0: samples are blurred", 0, 10 },
        { "w1", "0.079577471545947673", "width at the noise", 0, 10 }, TMIN } } } };

#define WIDTH(w, l) { "width", w, "channels inside", 1, 4096 }, { "layers", l, "", 1, 64 }
#define TSCALE { "tscale", "0", "factor on t", 0, BIG }
#define COORDS(c) { "coords", c, "inputs; without, all shifts are equal", 0, 0 }
#define ACT { "act", "gelu|gelu-tanh|silu|relu|tanh", "activation", 0, 0 }
#define EMBED { "embed", "0", "width of the time embedding", 0, 4096 }, \
    { "clock", "waves|random", "it: sinusoidal, or random Fourier features", 0, 0 }
#define VIT(l) WIDTH("64", l), { "patch", "4", "points of a patch on each axis", 1, 64 }, \
    { "heads", "4", "of attention", 1, 256 }, \
    { "mlp", "0", "hidden width; 0: 4 width", 0, 16384 }, \
    { "pos", "waves|learned|none", "positions of the patches", 0, 0 }, \
    { "time", "token|channel|none", "how t enters", 0, 0 }, \
    COORDS("none|open|closed"), ACT, EMBED, TSCALE
#define MODES { "modes", "0", "on each axis; 0: all the grid has, at most 26, in 3-D 12", 0, 4096 }
#define FILM_TIME { "time", "film|channel|none", "how t enters", 0, 0 }
#define FILM FILM_TIME, COORDS("open|closed|none")
#define FIELD { "field", "siren|gabor", "the coordinate network", 0, 0 }, \
    { "field-width", "32", "its channels", 1, 4096 }, { "field-layers", "2", "", 1, 64 }, \
    { "omega", "10", "its frequency; 30 for fine detail", 1e-3, 1e3 }, \
    { "mod", "scale|shift|weights", "of its layers", 0, 0 }, \
    { "latent", "32", "numbers that the modulations are linear in; 0: none", 0, 4096 }, \
    { "pool", "1", "points an axis that the features are brought to", 1, 64 }, \
    { "pixels", "1", "0: it sees places alone, not the values there", 0, 1 }
#define LEVELS(n) { "levels", n, "grids, each with half of the points or so", 1, 6 }, MODES, \
    { "pad", "0", "zeros after each axis, as a part of it", 0, 4 }
#define META WIDTH("64", "3"), { "omega", "10", "frequency; 30 for fine detail", 1e-3, 1e3 }, \
    { "mod", "scale|shift|weights|none", "what adapts, in each layer", 0, 0 }, \
    { "latent", "0", "numbers that it is linear in; 0: itself", 0, 4096 }, \
    { "inner", "3", "steps of gradient descent on |f - x|^2; 0: none", 0, 1000 }, \
    { "rate", "0.01", "their rate", 1e-9, BIG }, \
    { "rates", "fixed|learned", "one for each number", 0, 0 }, \
    { "clip", "0", "largest entry of their gradient; 0: any", 0, BIG }, \
    { "order", "second|first", "of the derivatives in training", 0, 0 }, \
    { "sees", "values|coords", "beside coordinates and time, the values, or not", 0, 0 }, \
    { "time", "channel|none", "how t enters", 0, 0 }, TSCALE
static topic t_net = { "net", "network", {
    { "fno", "Fourier neural operator", {
        WIDTH("32", "4"), MODES, { "style", "block|original", "", 0, 0 }, FILM,
        { "lift", "-1", "width of the lifting; -1: linear", -1, 4096 },
        { "proj", "64", "width of the projection", -1, 4096 }, ACT, EMBED, TSCALE,
        { "residual", "1", "1: add the input of a layer", 0, 1 },
        { "stencil", "0",
            "points an axis of a stencil before each layer: 3, 5, 7 or 9, as far apart as those of"
          " the grid of training; 0: none", 0, 9 } } },
    { "vit", "transformer on patches", { VIT("4") } },
    { "uvit", "the same with long skips; layers: odd", { VIT("5") } },
    { "vit-field", "a transformer that modulates a coordinate network; --lr 1e-3",
      { VIT("4"), FIELD } },
    { "uvit-field", "the same with long skips", { VIT("5"), FIELD } },
    { "fno-field", "a Fourier operator that does; --lr 2e-3", {
        WIDTH("32", "4"), MODES, FILM, ACT, EMBED, TSCALE, FIELD } },
    { "uno", "U-shaped neural operator", {
        { "width", "16", "channels inside", 1, 4096 }, LEVELS("3"), FILM,
        { "lift", "-1", "width of the lifting; -1: linear", -1, 4096 },
        { "proj", "-1", "width of the projection; -1: linear", -1, 4096 },
        { "rank", "0", "weights as Tucker tensors of this part of the numbers; 0: whole", 0, 1 },
        ACT, EMBED, TSCALE } },
    { "unet", "U-Net of Fourier layers", {
        WIDTH("16", "2"), LEVELS("3"), FILM,
        { "groups", "0", "of its norms; 0: 32 or what divides the width", 0, 4096 },
        { "act", "silu|gelu|gelu-tanh|relu|tanh", "activation", 0, 0 }, EMBED, TSCALE } },
    { "fno-separable", "a Fourier operator whose spectral weights keep to their channel, as "
                       "released with HDM", {
        WIDTH("32", "4"), MODES, { "time", "token|channel|none", "how t enters", 0, 0 },
            COORDS("open|closed|none"),
        { "groups", "4", "of its norms", 1, 4096 },
        { "mlp", "0", "hidden width; 0: 4 width", 0, 16384 },
        { "lift", "-1", "width of the lifting; -1: linear", -1, 4096 },
        { "proj", "64", "width of the projection; -1: linear", -1, 4096 }, ACT, EMBED, TSCALE } },
    { "points", "a transformer whose tokens are points and their values", {
        WIDTH("64", "3"), { "waves", "6", "pairs cos, sin(2^k pi u) for each axis", 1, 16 },
        { "latent", "32", "tokens that read the points; 0: the points themselves", 0, 4096 },
        { "heads", "4", "of attention", 1, 256 },
        { "mlp", "0", "hidden width; 0: 4 width", 0, 16384 },
        { "lift", "0", "width of the lifting; 0: 2 width; -1: linear", -1, 4096 },
        { "pixels", "1", "0: queries see their place alone, not the value there", 0, 1 },
        FILM_TIME, COORDS("open|closed"), ACT, EMBED, TSCALE } },
    { "siren", "a coordinate network whose modulations adapt to the function: meta-learning; --lr "
               "1e-3", { META } },
    { "gabor", "the same with Gabor waves, as released with FDP", { META } } } };

/* What a key of a network sets: its words in the order of fd.h, or a number; with a kind in this
 * kind alone. */
static const struct { const char *key; size_t at; const char *words; int first, real, kind;
                      } net_keys[] = {
    { "style", offsetof(fd_arch, kind), "original|block", FD_FNO_ORIGINAL, 0, 0 },
    { "time", offsetof(fd_arch, time), "channel|film|token|none", FD_TIME_CHANNEL, 0, 0 },
    { "coords", offsetof(fd_arch, coords), "open|closed|none", FD_COORD_OPEN, 0, 0 },
    { "pos", offsetof(fd_arch, vit.pos), "waves|learned|none", FD_POS_WAVES, 0, 0 },
    { "clock", offsetof(fd_arch, clock), "waves|random", FD_CLOCK_WAVES, 0, 0 },
    { "act", offsetof(fd_arch, act), "tanh|sigmoid|silu|gelu|gelu-tanh|relu", FD_TANH, 0, 0 },
#define SETS(key, real, x, kind) { key, offsetof(fd_arch, x), NULL, 0, real, kind }
    SETS("lift", 0, points.lift, FD_POINTS), SETS("latent", 0, points.latent, FD_POINTS),
    SETS("pixels", 0, points.pixels, FD_POINTS), SETS("mlp", 0, fno.mlp, FD_FNO_SEPARABLE),
    SETS("width", 0, width, 0), SETS("layers", 0, layers, 0), SETS("embed", 0, embed, 0),
    SETS("lift", 0, fno.lift, 0), SETS("proj", 0, fno.proj, 0), SETS("groups", 0, fno.groups, 0),
    SETS("residual", 0, fno.residual, 0), SETS("stencil", 0, fno.stencil, 0),
    SETS("levels", 0, u.levels, 0), SETS("heads", 0, vit.heads, 0), SETS("mlp", 0, vit.mlp, 0),
    SETS("latent", 0, inr.latent, 0), SETS("inner", 0, inr.inner, 0),
    SETS("field-width", 0, field.width, 0), SETS("field-layers", 0, field.layers, 0),
    SETS("pixels", 0, field.pixels, 0), SETS("pool", 0, field.pool, 0),
    SETS("omega", 1, inr.omega, 0), SETS("rate", 1, inr.rate, 0), SETS("clip", 1, inr.clip, 0),
    SETS("rank", 1, u.rank, 0), SETS("pad", 1, fno.pad, 0), SETS("tscale", 1, tscale, 0),
#undef SETS
    { "field", offsetof(fd_arch, field.kind), "siren|gabor", FD_SIREN, 0, 0 },
    { "mod", offsetof(fd_arch, inr.mod), "none|shift|scale|weights", FD_MOD_NONE, 0, 0 },
    { "rates", offsetof(fd_arch, inr.rates), "fixed|learned", 0, 0, 0 },
    { "order", offsetof(fd_arch, inr.first), "second|first", 0, 0, 0 },
    { "sees", offsetof(fd_arch, inr.blind), "values|coords", 0, 0, 0 } };
static const int net_kind[] = { FD_FNO_BLOCK, FD_VIT, FD_UVIT, FD_VIT, FD_UVIT, FD_FNO_BLOCK,
                                FD_UNO, FD_FNO_UNET, FD_FNO_SEPARABLE, FD_POINTS,
                                FD_SIREN, FD_GABOR };                            /* of the rows */

static topic t_predict = { "predict", "what the network says", {       /* in the order of FD_X0.. */
    { "x0", "the data", { { 0 } } }, { "noise", "the noise", { { 0 } } },
    { "score", "C grad log p", { { 0 } } }, { "v", "m noise - s data", { { 0 } } },
    { "velocity", "of the flow", { { 0 } } },
    { "score-half", "C^1/2 grad log p: no function in the limit", { { 0 } } },
    { "score-full", "grad log p in L2: nor is this", { { 0 } } } } };
static topic t_precond = { "precond", "preconditioning", {
    { "gauss", "the network corrects the exact model of Gaussian data of this spectrum", {
        { "floor", "1e-10", "least eigenvalue over the largest", 0, 1 } } },
    { "none", "the network predicts what --predict says", { { 0 } } } } };
static topic t_weight = { "weight", "time weight of the loss", {   /* in the order of FD_W_ONE.. */
    { "one", "none", { { 0 } } }, { "x0", "that of the x0 error", { { 0 } } },
    { "noise", "of the noise error", { { 0 } } }, { "v", "of the v error", { { 0 } } },
    { "likelihood", "of the path measure", { { 0 } } } } };
static topic t_law = { "time-law", "law of training times", {  /* in the order of FD_T_UNIFORM.. */
    { "uniform", "independent", { { 0 } } }, { "log", "uniform in log t", { { 0 } } },
    { "stratified", "uniform, spread evenly over a batch", { { 0 } } },
    { "lognormal", "log sigma is normal", {
        { "mean", "-1.2", "", -100, 100 }, { "sd", "1.2", "", 0, 100 } } },
    { "levels", "of ddpm and ladder, without replacement in a batch", { { 0 } } },
    { "least", "least variance of the loss, for Gaussian data of this spectrum", { { 0 } } } } };
static topic t_flip = { "flip", "mirror images of the data in training", {
    { "none", "", { { 0 } } }, { "last", "half of them along the last axis: left and right",
                                 { { 0 } } },
    { "all", "each axis for itself", { { 0 } } } } };
#define BETAS { "b1", "0.9", "mean of the gradient", 0, 0.999999 }, \
    { "b2", "0.999", "of its square", 0, 0.9999999 }
/* in the order of FD_ADAMW.. */
static topic t_optimizer = { "optimizer", "rule of a step", {
    { "adamw", "Adam; decay is decoupled", { BETAS, { "eps", "1e-8", "", 1e-30, 1 } } },
    { "amsgrad", "Adam with the largest mean square so far",
      { BETAS, { "eps", "1e-8", "", 1e-30, 1 } } },
    { "adabelief", "by the square of gradient minus mean",
      { BETAS, { "eps", "1e-16", "", 1e-30, 1 } } } } };
/* in the order of FD_NORM_H.. */
static topic t_norm = { "norm", "inner product of the loss", {
    { "h", "L2", { { 0 } } }, { "cm", "Cameron-Martin, 1/lam", { { 0 } } },
    { "stationary", "of the stationary law, b/r of FDP", { { 0 } } },
    { "sobolev", "(1 + mu)^s", { { "s", "1", "", -100, 100 } } },
    { "likelihood", "of the path measure, the ELBO's", { { 0 } } },
    { "step", "KL of a step of ddpm or ladder", { { 0 } } } } };
static topic t_times = { "times", "times of the sampler", {       /* in the order of FD_UNIFORM.. */
    { "uniform", "equal steps of t", { { 0 } } }, { "geometric", "equal ratios of t", { { 0 } } },
    { "rho", "equal steps of sigma^(1/rho)", { { "rho", "7", "", 0.1, 100 } } },
    { "logsnr", "equal steps of log(m^2/v)", { { 0 } } },
    { "auto", "what the process wants (fd help process)", { { 0 } } } } };
static topic t_start = { "start", "law that samplers start from", {  /* as FD_START_NOISE.. */
    { "noise", "N(0, v C) at the last time", { { 0 } } }, { "unit", "N(0, C)", { { 0 } } },
    { "matched", "N(m mean, m^2 cov + v C): mean and spectrum of the data", { { 0 } } },
    { "auto", "what the process wants (fd help process)", { { 0 } } } } };
#define CORRECTOR { "c", "0.1", "size", 0, BIG }, { "inner", "1", "steps each time", 1, 1e6 }, \
    { "at", "end|begin", "of a step of the scheme", 0, 0 }
static topic t_corrector = { "corrector", "Langevin steps of the sampler", {  /* as FD_CORRECT_.. */
    { "none", "", { { 0 } } }, { "scaled", "c v: the same on every level", { CORRECTOR } },
    { "ladder", "c (v / last v)^2", { CORRECTOR } },
    { "snr", "4 c^2 v |noise|^2 / |predicted noise|^2, norms of some waves: the same on every grid",
      { CORRECTOR, { "band", "3", "largest wavenumber of the norms", 1, 1e6 } } },
    { "snr-grid", "4 (c |noise| / |score|)^2, norms of the grid, as released: no law on functions",
      { CORRECTOR } } } };
static topic t_boundary = { "boundary", "ends of the axes", {    /* in the order of FD_PERIODIC.. */
    { "periodic", "", { { 0 } } }, { "neumann", "free at both ends", { { 0 } } },
    { "dirichlet", "zero at both ends", { { 0 } } },
    { "mixed", "zero at 0, free at the other end", { { 0 } } } } };
static topic t_normalize = { "normalize", "values that a network sees; samples are in the file's", {
    { "auto", "scale; bytes: none", { { 0 } } },
    { "none", "as they are; bytes 0..255 as -1 to 1", { { 0 } } },
    { "scale", "(x - mean)/sd, two numbers for each channel", { { 0 } } },
    { "pixel", "(x - mean)/sd, the mean a function, the sd a number of each channel",
      { { 0 } } } } };
static topic t_axes = { "channels", "which axis of a file is that of the channels", {
    { "auto", "told by the shape, where there is one way to read it", { { 0 } } },
    { "none", "[functions][grid]", { { 0 } } },
    { "first", "[functions][channels][grid]", { { 0 } } },
    { "last", "[functions][grid][channels]", { { 0 } } } } };
static topic t_map = { "map", "colours of pictures", {       /* in the order of FD_GRAY.. */
    { "gray", "", { { 0 } } }, { "gray-inverse", "", { { 0 } } }, { "viridis", "", { { 0 } } },
    { "diverging", "", { { 0 } } } } };
static topic t_scheme = { "scheme", "one step of the sampler", { { 0 } } };    /* fd_scheme_name */
static topic t_fields = { "fields", "built-in data", {
    { "fields", "mixture of Gaussian random functions", {
        { "n", "4096", "how many", 2, 1e6 }, { "k", "4", "components", 1, 64 },
        { "l", "0.2", "length of the fluctuations", 1e-3, 10 },
        { "var", "0.05", "their variance; that of the means is 1", 0, BIG },
        { "channels", "1", "independent of each other", 1, 64 } } } } };

#define CLOCK { "tscale", "1", "factor on t where it is a channel: 1e-3 for t/1000", 0, BIG }
#define PAD { "pad", "0", "zeros behind each axis, as a part of it: 9 on 64: 0.140625", 0, 4 }, \
    { "pad1", "-1", "behind the second axis; -1: as pad", -1, 4 }, \
    { "pad2", "-1", "behind the third one", -1, 4 }
#define BOUNDS { "from", "0", "where coordinates begin", -BIG, BIG }, \
    { "to", "1", "where they end: 6.2832", -BIG, BIG }
/* what the files cannot tell */
static topic t_as = { "as", "the program that the weights are from", {
    { "auto", "told by the names in the file", { { 0 } } },
    { "fno", "first release of FNO; KER; multilevelDiff", {
        ACT, { "coords", "closed|open|none", "inputs besides the data", 0, 0 },
        { "time", "auto|channel|none", "auto: a channel if there is one input more", 0, 0 }, CLOCK,
        PAD, BOUNDS } },
    { "neuraloperator", "releases 0.2 to 2", {
        ACT, { "coords", "auto|open|closed|none", "auto: open from 1.0 on, none before", 0, 0 },
        { "time", "auto|channel|none", "", 0, 0 },
        { "reversed", "no|yes", "the last axis first", 0, 0 },
        { "version", "2|1", "1: an odd number of modes as before 2.0", 0, 0 }, CLOCK, PAD,
        { "norms", "0", "groups of group norms; -1: instance norms", -1, 4096 },
        { "skip", "error|identity|none", "what fno_skips without weights are", 0, 0 },
        { "mlp-skip", "error|identity|none", "what channel_mlp_skips without weights are", 0, 0 },
        BOUNDS,
        { "modes", "0", "n_modes, where the weights have more (max_n_modes); 0: all", 0, 65536 },
        { "modes1", "0", "of the second axis; 0: as modes", 0, 65536 },
        { "modes2", "0", "of the third one", 0, 65536 } } },
    { "ffm", "neuraloperator as FFM has it: closed, reversed, t/1000 a channel", { ACT, PAD } },
    { "uvit", "U-ViT without classes", {
        { "heads", "0", "0: 64 wide each", 0, 4096 },
        { "tscale", "999", "factor on t", 0, BIG } } } } };
enum { AS_AUTO, AS_FNO, AS_NEURALOP, AS_FFM, AS_UVIT };

#define STEP_OF(h) { "h", h, "step at first; adapted during burn-in", 1e-9, 10 }, \
    { "steps", "20000", "steps of each chain", 8, 1e9 }, \
    { "burn", "2000", "steps before, which adapt h", 0, 1e9 }, \
    { "chains", "4", "how many", 1, 1000 }
static topic t_method = { "method", "how functions are drawn given observations", {
    { "exact", "Matheron's rule; Gaussian prior", { { 0 } } },
    { "conditional", "the exact conditional score through the sampler; Gaussian prior", { { 0 } } },
    { "guide", "guidance with the true covariance of x0 given x_t: exact for Gaussian data",
      { { 0 } } },
    { "pigdm", "guidance with v C for that covariance",
      { { "zeta", "1", "factor on it", 1e-9, 1e9 } } },
    { "dps", "guidance without it: biased, see examples/study/mesh.md", {
        { "zeta", "0.3", "factor on the gradient", 1e-9, 1e9 },
        { "plain", "no|yes", "yes: without C in front, as released", 0, 0 } } },
    { "project", "projection in the Cameron-Martin norm after each step", {
        { "path", "bridge|fresh|mean", "what is observed of the noised state", 0, 0 },
        { "corrector", "0", "projected Langevin steps after each", 0, 1000 },
        { "c", "0.4", "their size, in units of v", 1e-9, 4 },
        { "below", "0.5", "from this part of tmax on", 0, 1 } } },
    { "denoised", "projected denoiser", { { 0 } } },
    { "flat", "projection in L2, that is replacement: a baseline that fails on fine grids",
      { { 0 } } },
    { "split", "split Gibbs: the likelihood and the model in turn", {
        { "rho", "0.1", "coupling at the end", 1e-3, 10 },
        { "sweeps", "8", "how many", 1, 10000 } } },
    { "particles", "twisted particles", {
        { "guide", "pigdm|none|dps", "what moves them", 0, 0 },
        { "zeta", "1", "as of pigdm or dps", 1e-9, 1e9 } } },
    { "esmda", "ensemble smoother with multiple data assimilation",
      { { "steps", "4", "of equal weight", 1, 1000 } } },
    { "langevin", "annealed preconditioned Langevin dynamics with the model's score", {
        { "h", "0.002", "step", 1e-9, 10 }, { "inner", "10", "steps at each time", 1, 1e6 } } },
    { "fundps", "FunDPS as released: biased, and another law on each grid (study/mesh.md)", {
        { "zeta", "3", "weight of the loss's gradient", 0, BIG },
            { "loss", "mean|root", "of the squares, or its root", 0, 0 } } },
    { "diffusionpde", "DiffusionPDE as released, in that likewise",
      { { "zeta", "1", "weight of the loss's gradient", 0, BIG } } },
    { "daps", "decoupled annealing", {
        { "inner", "20", "Langevin steps of a level", 0, 1e6 },
            { "h", "0.3", "their size, over that of the stiffest part", 1e-9, 2 },
        { "flow", "5", "steps of a level's flow", 1, 1e5 },
            { "plain", "no|yes", "yes: without C in front, as released", 0, 0 } } },
    { "eci", "extrapolate, correct, interpolate: takes the observations for exact", {
        { "noise", "start|fresh|own", "mixed in: start as released, own as denoised", 0, 0 },
        { "norm", "l2|cm", "of the correction: l2 as released", 0, 0 } } },
    { "pcn", "preconditioned Crank-Nicolson chains; Gaussian prior", { STEP_OF("0.2") } },
    { "mala", "inf-MALA; Gaussian prior", { STEP_OF("0.1") } },
    { "hmc", "inf-HMC; Gaussian prior", { STEP_OF("0.2"),
                                          { "leaps", "4", "leapfrogs a step", 1, 1000 } } },
    { "slice", "elliptical slice sampling; Gaussian prior", { STEP_OF("1") } },
    { "walk", "random-walk Metropolis: the control that fails on fine grids; Gaussian prior",
      { STEP_OF("0.1") } },
    { "latent", "pCN on the noise of a flow", { STEP_OF("0.2") } },
    { "amortised", "the network of fd train --condition, told of the observations", {
        { "free", "1", "guidance without a classifier, if trained with drop; 1: none", 0, 100 } } },
    { "prior", "ignores the observations: what calibration must reject", { { 0 } } } } };
static topic t_reward = { "reward", "what fd tune asks for; of a .csv -|y - A x|^2/(2 noise^2)", {
    { "symmetry", "- mean square of the function less its mirror image, as normalised", {
        { "axis", "-1", "that is turned; -1: the last", -1, 2 },
        { "scale", "1", "factor", 1e-9, BIG } } },
    { "brightness", "the mean value, as normalised", {
        { "scale", "1", "factor; below 0: dark", -BIG, BIG } } },
    { "point", "-(f - value)^2/(2 sd^2) at a place, in the units of the data", {
        { "x", "0.5", "place", 0, BIG }, { "y", "0.5", "", 0, BIG }, { "z", "0.5", "", 0, BIG },
        { "value", "1", "", -BIG, BIG }, { "sd", "0.1", "", 1e-200, BIG } } } } };
enum { REWARD_SYMMETRY, REWARD_BRIGHTNESS, REWARD_POINT };
static topic t_policy = { "tuning", "how fd tune changes the weights", {
    { "ddpo", "policy gradient, clipped, several updates for the same paths", { { 0 } } },
    { "reinforce", "policy gradient, one update", { { 0 } } },
    { "rwr", "reward-weighted regression on draws of the first model", { { 0 } } } } };
enum { TUNE_DDPO, TUNE_REINFORCE, TUNE_RWR };
static topic t_operator = { "operator", "A of the linear equation dX = -A X dt + dW", {
    { "heat", "-nu Laplacian + c", { { "nu", "0.1", "diffusivity", 0, 1e9 },
                                     { "c", "0", "pull to 0", -1e3, 1e9 } } } } };
static topic t_between = { "between", "what joins functions of two files, 0 <= t <= 1", {
    { "bridge", "bridges of dX = -A X dt + dW, W of --cov: the network says which end to expect", {
        { "nu", "0", "A = -nu Laplacian + c", 0, 1e9 }, { "c", "0", "pull to 0", -1e3, 1e9 },
        { "told", "0|1", "1: the network sees where it started, too", 0, 0 } } },
    { "interpolant", "(1 - t) x0 + t x1 + g sin^2(pi t) noise: the network says the velocity", {
        { "g", "0", "noise on the way", 0, 1e9 },
        { "told", "0|1", "1: the network sees where it started, too", 0, 0 } } } } };
static topic t_couple = { "couple", "which start goes with which end", {
    { "random", "any with any", { { 0 } } },
    { "paired", "function i of one file with function i of the other", { { 0 } } },
    { "near", "those of a batch so that their squared distances are least", { { 0 } } } } };
static topic t_exact = { "law", "what law functions are judged by", {
    { "gauss", "Gaussian, of the covariance --cov about --mean, or 0", { { 0 } } },
    { "mixture", "Gaussians of --cov about the functions of --mean, all as likely", { { 0 } } },
    { "posterior", "of a Gaussian prior --cov, mean 0, given --obs", { { 0 } } } } };
static topic t_op, t_data;                                  /* operators.h, data.h */
static topic t_observe = { "observe", "what is observed", {
    { "points", "values at places drawn at random", { { "m", "8", "how many", 1, 1e5 } } },
    { "coarse", "values on a coarse grid", { { "n", "8", "points of each axis", 1, 1e5 } } },
    { "blur", "the function blurred, at every point",
      { { "w", "0.05", "width of the Gaussian", 0, 10 } } } } };

#define TOLD { "noise", "0.05", "standard deviation, in the units of the data", 0, 1e30 }, \
    { "drop", "0", "part of the functions that are shown without observations", 0, 0.9 }
#define MOVE { "move", "0|1", "1: others for each function", 0, 0 }
#define CHANNELS_SEEN "posterior|denoised|both|slope"
#define SEES(def) { "sees", def, "what the network sees of them (fd_amortised in fd.h)", 0, 0 }
static topic t_condition = { "condition", "what a network is told of each function", {
    { "points", "values at places drawn at random", {
        { "m", "8", "how many", 1, 1e5 }, MOVE, TOLD, SEES(CHANNELS_SEEN) } },
    { "coarse", "values on a coarse grid", {
        { "n", "8", "points of each axis", 1, 1e5 }, TOLD, SEES(CHANNELS_SEEN) } },
    { "blur", "the function blurred, at every point", {
        { "w", "0.05", "width of the Gaussian", 0, 10 }, TOLD, SEES(CHANNELS_SEEN) } },
    { "mask", "the values of some pixels", {
        { "p", "0.25", "part of the pixels", 1e-6, 1 }, MOVE, TOLD,
        SEES("values|" CHANNELS_SEEN) } } } };
enum { CONDITION_POINTS, CONDITION_COARSE, CONDITION_BLUR, CONDITION_MASK };

static topic *const topics[] = { &t_cov, &t_process, &t_net, &t_predict, &t_precond, &t_weight,
                                 &t_norm, &t_law, &t_flip, &t_optimizer, &t_scheme, &t_times,
                                 &t_start, &t_corrector, &t_boundary, &t_axes, &t_normalize, &t_map,
                                 &t_fields, &t_as, &t_method, &t_operator, &t_observe, &t_condition,
                                 &t_between, &t_couple, &t_op, &t_data, &t_reward, &t_policy,
                                 &t_exact };

static inline int rows_of(const topic *t)
{
    int n = 0;
    while (n < ROWS && t->rows[n].name) n++;
    return n;
}

static inline int keys_of(const row *r)
{
    int n = 0;
    while (n < KEYS && r->keys[n].name) n++;
    return n;
}

/* Status of a wrong spec: 2 on a command line, 1 in a file. */
static int bad = 2;

/* spec_need -- need for what was built from the spec of a flag: where that cannot be, it was
 * wrong. */
static inline void spec_need(const fd_status *st, const char *flag)
{
    char why[256];
    if (st->code != FD_EARG && st->code != FD_ESHAPE && st->code != FD_EDATA) need(st);
    else if (fd_explain(st, why, sizeof why)) die(bad, "--%s: %s", flag, why);
}

/* number -- strict: the whole text, finite, within [lo, hi]. */
static inline int number(const char *s, double lo, double hi, double *v)
{
    char *end;
    *v = strtod(s, &end);
    return end != s && !*end && *v >= lo && *v <= hi;
}

/* choice -- index of s in "a|b|c", or -1. */
static inline int choice(const char *list, const char *s)
{
    size_t n = strlen(s);
    for (int i = 0; ; i++) {
        size_t m = strcspn(list, "|");
        if (n && m == n && !strncmp(list, s, n)) return i;
        if (!list[m]) return -1;
        list += m + 1;
    }
}

/* choice_word -- word i of the choices of a key. */
static inline const char *choice_word(const key *k, int i, char word[32])
{
    const char *c = k->def;
    for (; i; i--) c = strchr(c, '|') + 1;
    sprintf(word, "%.*s", (int)strcspn(c, "|"), c);
    return word;
}

static inline double key_value(const key *k, const char *s, const char *flag, const char *all)
{
    double v;
    if (strchr(k->def, '|')) {
        int i = choice(k->def, s);
        if (i < 0) die(bad, "%s: '%s': %s is one of %s", flag, all, k->name, k->def);
        return i;
    }
    static const char *const whole[] = { "kmax", "T", "width", "layers", "modes", "lift", "proj",
                                         "embed", "residual", "n", "k", "patch", "heads", "mlp",
                                         "latent", "pool", "field-width", "field-layers", "pixels",
                                         "inner", "levels", "groups", "norms", "waves", "ref",
                                         "channels", "stencil", "m",
                                             "sweeps", "steps", "burn", "axis",
                                         "chains", "leaps", "corrector", "flow", "views",
                                             "detectors", "most" };
    for (int i = 0; i < COUNT(whole); i++)
        if (!strcmp(k->name, whole[i]) && number(s, k->lo, k->hi, &v) && v != floor(v))
            die(bad, "%s: '%s': %s: '%s': expected a whole number", flag, all, k->name, s);
    if (!number(s, k->lo, k->hi, &v))
        die(bad, "%s: '%s': %s: '%s': expected a number from %g to %g", flag, all, k->name, s,
            k->lo, k->hi);
    return v;
}

/* spec_read -- the spec that a text describes, or an error that names the flag. */
static inline spec spec_read(const topic *t, const char *flag, const char *text)
{
    spec s = { t, 0, { 0 } };
    char buf[512], list[512] = "";
    int rows = rows_of(t);
    if (strlen(text) >= sizeof buf) die(bad, "%s: too long", flag);
    strcpy(buf, text);
    char *rest = strchr(buf, ':');
    if (rest) *rest++ = 0;
    while (s.row < rows && strcmp(t->rows[s.row].name, buf)) s.row++;
    if (s.row == rows) {
        for (int i = 0; i < rows; i++) strcat(strcat(list, i ? ", " : ""), t->rows[i].name);
        die(bad, "%s: '%s': expected %s", flag, text, list);
    }
    const row *r = &t->rows[s.row];
    int keys = keys_of(r);
    for (int i = 0; i < keys; i++)
        s.v[i] = strchr(r->keys[i].def, '|') ? 0 : strtod(r->keys[i].def, NULL);
    while (rest && *rest) {
        char *next = strchr(rest, ','), *eq;
        int i = 0;
        if (next) *next++ = 0;
        eq = strchr(rest, '=');
        if (eq) *eq++ = 0;
        while (i < keys && strcmp(r->keys[i].name, rest)) i++;
        if (i == keys) {
            for (i = 0; i < keys; i++) strcat(strcat(list, i ? ", " : ""), r->keys[i].name);
            die(bad, "%s: '%s': %s has no key '%s'; it has %s", flag, text, r->name, rest,
                keys ? list : "none");
        }
        if (!eq) die(bad, "%s: '%s': expected %s=value", flag, text, rest);
        s.v[i] = key_value(&r->keys[i], eq, flag, text);
        rest = next;
    }
    return s;
}

/* spec_text -- the text of a spec, with all keys: read again it gives the same numbers. */
static inline const char *spec_text(const spec *s, char buf[512])
{
    const row *r = &s->t->rows[s->row];
    int keys = keys_of(r);
    size_t n = (size_t)sprintf(buf, "%s", r->name);
    for (int i = 0; i < keys; i++) {
        n += (size_t)sprintf(buf + n, "%c%s=", i ? ',' : ':', r->keys[i].name);
        if (strchr(r->keys[i].def, '|')) {
            char word[32];
            n += (size_t)sprintf(buf + n, "%s", choice_word(&r->keys[i], (int)s->v[i], word));
        } else {
            int w = sprintf(buf + n, "%.6g", s->v[i]);
            if (strtod(buf + n, NULL) != s->v[i]) w = sprintf(buf + n, "%.17g", s->v[i]);
            n += (size_t)w;
        }
    }
    return buf;
}

/* What sampling does by default, in the order of t_process: study/defaults.md says why. */
enum { TIMES_AUTO = FD_LOGSNR + 1, START_AUTO = FD_START_MATCHED + 1, SCHEME_AUTO = FD_SCHEMES,
       STEPS_AUTO = 50 };
static const struct { int scheme, times, start; } sampled_by[] = {
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* vp */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* vp-cosine */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* subvp */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* ve */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* ou */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_MATCHED },          /* driftless */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* flow */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* ddpm */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* flow-vp */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_MATCHED },          /* ladder */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_MATCHED },          /* fdp */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_MATCHED },          /* heat */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE },            /* heat-cosine */
    { FD_PF_MULTISTEP, FD_LOGSNR, FD_START_NOISE } };          /* blur */

static inline void topic_help(const topic *t)
{
    printf("%s: %s\n", t->name, t->what);
    for (int i = 0; i < rows_of(t); i++) {
        const row *r = &t->rows[i];
        printf("  %-22s %s\n", r->name, r->help);
        for (int j = 0; j < keys_of(r); j++)
            printf("      %s=%-*s  %s\n", r->keys[j].name, 16 - (int)strlen(r->keys[j].name),
                   r->keys[j].def, r->keys[j].help);
        if (t == &t_process)
            printf("      sampled by %d steps of %s at %s times, start %s\n", STEPS_AUTO,
                   fd_scheme_name(sampled_by[i].scheme), t_times.rows[sampled_by[i].times].name,
                   t_start.rows[sampled_by[i].start].name);
    }
}

#endif
