/* common.h -- what the tool (fd.c) and the demo (demo.c) share. All numerical work is in the
 * library; here are the command line, files and the terminal.
 *
 * Sections: messages, specs, options, building from specs, data, kits, training, sampling, metrics,
 * pictures.
 *
 * A spec is `name:key=value,key=value`, read and explained by the same tables: `fd help cov`.
 * A kit is all that sampling needs, in memory and in one .safetensors file. */
#ifndef COMMON_H
#define COMMON_H
#define _DEFAULT_SOURCE                    /* madvise */
#define _POSIX_C_SOURCE 200809L
#include "fd.h"
#include "read.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "ranks.h"

#define COUNT(x) ((int)(sizeof(x) / sizeof *(x)))

/* ---- Messages -------------------------------------------------------------------------------- */

/* One line on stderr; status 2 for a wrong command line, 1 for a run that failed. */

static const char *prog = "fd";
static int bar;                            /* is a progress line standing on the terminal? */

static inline void bar_end(void)
{
    if (bar) fputs("\r\033[K", stderr);
    bar = 0;
}

/* die -- names of files and in them may hold anything: what is said stays one line. */
static inline void die(int status, const char *fmt, ...)
{
    char said[4096], line[4096];
    va_list ap;
    fflush(stdout);
    bar_end();
    ranks_wait();
    va_start(ap, fmt);
    vsnprintf(said, sizeof said, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: %s\n", prog, fd_escape(said, line, sizeof line));
    ranks_abort(status);
    exit(status);
}

static inline void need(const fd_status *st)
{
    char why[1100];
    if (!fd_explain(st, why, sizeof why)) return;
    die(1, "%s%s", why, st->code == FD_ENOMEM ? "; give more by --memory" : "");
}

/* need_grid -- the same where a network may not fit the grid. */
static inline void need_grid(const fd_status *st)
{
    char why[256];
    if (fd_explain(st, why, sizeof why) == FD_ESHAPE) die(2, "--grid: %s", why);
    need(st);
}

static inline void wrote(const char *path) { bar_end(); printf("wrote %s\n", path); }

/* finish -- the status of main: 1 where standard output could not be written. Where nobody reads it
 * any more, as in `fd train | head`, the program ends by SIGPIPE as others do, its files
 * written. */
static inline int finish(void)
{
    if (!fflush(stdout) && !ferror(stdout)) return 0;
    int why = errno;
    struct pollfd out = { 1, POLLOUT, 0 };
    if (poll(&out, 1, 0) > 0 && out.revents & POLLERR) {
        bar_end();
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    die(1, "standard output: %s", strerror(why));
    return 1;
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* on_bus -- a mapped file has lost the pages that are being read. */
static inline void on_bus(int sig)
{
    static const char text[] = ": a file became shorter while it was read\n";
    (void)sig;
    if (write(2, prog, strlen(prog)) < 0 || write(2, text, sizeof text - 1) < 0) _exit(1);
    _exit(1);
}

/* start -- what every program does first. A file that grows too large and an output that nobody
 * reads are errors of a write, not the end of the run. And the program starts again with threads
 * that sleep while they wait, unless the user has chosen: libgomp's spin, which makes a run many
 * times slower where other programs want the processors too, and it reads its settings before
 * main. */
static inline void start(const char *name, char **argv)
{
    prog = name;
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGBUS, on_bus);
#if defined(_OPENMP) && defined(__linux__)
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (!setenv("OMP_WAIT_POLICY", "passive", 1)) execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}

/* can_write -- is path a file that may be made or replaced? Asked before the work starts, for files
 * are written to a temporary name and renamed, which must not happen to a device. */
static inline void can_write(const char *flag, const char *path)
{
    struct stat f;
    char dir[1024];
    const char *cut = strrchr(path, '/');
    size_t n = cut ? (size_t)(cut - path) : 1;
    /* of 255 that file systems take */
    if (n >= sizeof dir || strlen(cut ? cut + 1 : path) > 240)
        die(1, "--%s: '%.60s...': name too long", flag, path);
    if (!stat(path, &f) && !S_ISREG(f.st_mode))
        die(1, "--%s: '%s': %s", flag, path, S_ISDIR(f.st_mode) ? "is a folder" : "is not a file");
    memcpy(dir, cut ? (n ? path : "/") : ".", n ? n : 1);
    dir[n ? n : 1] = 0;
    if (stat(dir, &f) || access(dir, W_OK | X_OK))
        die(1, "--%s: '%s': %s", flag, path, strerror(errno));
    if (!S_ISDIR(f.st_mode)) die(1, "--%s: '%s': '%s' is not a folder", flag, path, dir);
}

/* in_dir -- the path of a file in a folder; eight of them live at a time. */
static inline const char *in_dir(const char *dir, const char *name)
{
    static char path[8][1024];
    static int k;
    char *p = path[k++ & 7];
    if (snprintf(p, sizeof path[0], "%s/%s", dir, name) >= (int)sizeof path[0])
        die(1, "--outdir: name too long");
    return p;
}

/* progress -- one line that stays in place on a terminal, else a line at each twentieth. */
static inline void progress(const char *what, int k, double done, double loss, double speed,
                            double left)
{
    static double last;
    static int shown = -1;
    int tty = isatty(2), part = (int)(20 * done);
    if (tty ? now() - last < 0.1 && done < 1 : part == shown) return;
    last = now();
    shown = part;
    left = fmin(fmax(left, 0), 359999);
    if (tty) fputs("\r\033[K", stderr);
    fprintf(stderr, "%s %d (%.0f%%)", what, k, 100 * done);
    if (loss >= 0) fprintf(stderr, "  loss %.4g", loss);
    fprintf(stderr, "  %.3g functions/s  %d:%02d left%s", speed, (int)left / 60, (int)left % 60,
            tty ? "" : "\n");
    fflush(stderr);
    bar = tty;
}

/* make_dir -- dir and the folders above it. */
static inline void make_dir(const char *dir)
{
    char part[1024];
    size_t n = strlen(dir);
    if (n >= sizeof part) die(1, "--outdir: name too long");
    for (size_t i = 1; i <= n; i++) {
        if (dir[i] != '/' && dir[i]) continue;
        memcpy(part, dir, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            die(1, "--outdir: '%s': %s", part, strerror(errno));
    }
    can_write("outdir", in_dir(dir, "metrics.csv"));
}

/* ---- Specs --------------------------------------------------------------------------------------
 *
 * Each topic is a table of names, each with its keys. A key whose default has bars is a choice, the
 * first one being the default; any other is a number within [lo, hi]. */

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

/* ---- Options --------------------------------------------------------------------------------- */

enum { CHANNELS = 64 };                                    /* most of a function */
typedef struct { int nd, n[3]; } shape;                    /* nd 0: not given */
typedef struct {
    const char *file, *data, *out, *model, *resume, *log, *png, *path, *samples, *outdir, *labels,
        *modes, *obs, *coarse, *blur, *state, *from, *to, *base, *pairs, *reward, *table, *group,
        *cmd, *middle;
    spec condition, between, couple, op, exact;
    spec cov, target, process, net, predict, precond, weight, norm, law, flip, optimizer, scheme,
        times, start, corrector, map, as, prior, method, observe, normalize, heat, policy;
    shape grid;
    int bc[3], axes, channels, n, limit, steps, batch, warmup, save, threads, first, denoise, raw,
        bins, pcs, accumulate, train, probes, draws, quiet, conditions, well, help, rounds, epochs,
        list;
    uint64_t seed;
    double noise, time, lr, lr_end, decay, clip, clip_each, ema, eta, churn, tol, law_tol, budget,
        memory;
    double beta, ratio;                                    /* of fd tune */
    double timeout, alpha;
    double drop, guidance; int label;
    /* in an experiment: all flags, as text */
    const char *how;
} args;

enum { TRAIN = 1, SAMPLE = 2, NOISE = 4, EVAL = 8, INFO = 16, DEMO = 32, CERTIFY = 64,
       ORDERS = 128, CHOICE = 256, THESIS = 512, CONVERT = 1024, LOGLIK = 2048, POSTERIOR = 4096,
       CALIBRATE = 8192, BRIDGE = 16384, TUNE = 32768, DATA = 65536, VECTORS = 131072,
       CONFORM = 262144, JUDGE = 524288, ALL = 1048575 };
enum { O_YES, O_INT, O_REAL, O_SEED, O_SIZE, O_TEXT, O_OUT, O_GRID, O_BOUNDARY, O_AXES, O_SPEC };
typedef struct {
    const char *name, *arg, *def;                          /* def NULL: none */
    int of, kind;                                          /* commands; O_* */
    size_t at;                                             /* in args */
    const topic *t;
    double lo, hi;
    const char *help;
} option;
#define AT(f) offsetof(args, f)

static const option options[] = {
    { "out", "FOLDER", NULL, VECTORS, O_TEXT, AT(out), 0, 0, 0,
      "where the vectors go (-o)" },
    { "list", NULL, NULL, VECTORS, O_YES, AT(list), 0, 0, 0,
      "say which groups there are, and write nothing" },
    { "group", "NAME", NULL, VECTORS | CONFORM, O_TEXT, AT(group), 0, 0, 0,
      "this group alone (fd vectors --list)" },
    { "cmd", "COMMAND", NULL, CONFORM, O_TEXT, AT(cmd), 0, 0, 0,
      "the program, as in 'python3 client.py {in} {out}'; paths come in quotes" },
    { "timeout", "SECONDS", "60", CONFORM, O_REAL, AT(timeout), 0, 1e-3, 1e6,
      "most time for one case" },
    { "tol", "X", "0", CONFORM, O_REAL, AT(tol), 0, 0, 1,
      "least tolerance, of the answer's size: 1e-4 for a program in float and vectors in double" },
    { "law", "NAME", "gauss", JUDGE, O_SPEC, AT(exact), &t_exact, 0, 0,
      "what law: gauss, mixture or posterior (fd help law)" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.1", JUDGE, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance of the law, of each component, or of the prior (fd help cov)" },
    { "mean", "FILE", NULL, JUDGE, O_TEXT, AT(middle), 0, 0, 0,
      "the mean, or those of the mixture, one function each" },
    { "obs", "FILE", NULL, JUDGE, O_TEXT, AT(obs), 0, 0, 0,
      "of a posterior: x[,y[,z]],value[,channel][,sd], a line each" },
    { "noise", "SD", "0", JUDGE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the observations, where the file has no column sd" },
    { "alpha", "P", "1e-3", JUDGE, O_REAL, AT(alpha), 0, 0, 1,
      "status 1 where the least p-value times their number is below" },
    { "model", "FILE", NULL, BRIDGE, O_TEXT, AT(model), 0, 0, 0,
      "what fd train --pairs wrote: go with it from the functions of --from, instead of --to" },
    { "model", "FILE", NULL, TUNE, O_TEXT, AT(model), 0, 0, 0,
      "what fd train, or fd tune, wrote" },
    { "reward", "SPEC", NULL, TUNE, O_TEXT, AT(reward), 0, 0, 0,
      "of a function (fd help reward), or .csv: x[,y[,z]],value[,sd]" },
    { "noise", "SD", "0", TUNE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the values of a .csv" },
    { "beta", "X", "1", TUNE, O_REAL, AT(beta), 0, 0, BIG,
      "aim at the law p e^(beta reward): 1/beta weighs the KL to the first model; 0: no KL" },
    { "method", "NAME", "ddpo", TUNE, O_SPEC, AT(policy), &t_policy, 0, 0,
      "ddpo, reinforce or rwr (fd help tuning)" },
    { "clip", "X", "0.2", TUNE, O_REAL, AT(ratio), 0, 1e-6, 1,
      "of ddpo: how far the ratio of a step may move from 1" },
    { "rounds", "N", "100", TUNE, O_INT, AT(rounds), 0, 1, 1e6,
      "how often functions are drawn and rewarded" },
    { "epochs", "N", "0", TUNE, O_INT, AT(epochs), 0, 0, 1000,
      "updates of each round; 0: 4, of reinforce 1" },
    { "batch", "N", "32", TUNE, O_INT, AT(batch), 0, 2, 1e6,
      "functions of a round" },
    { "lr", "X", "1e-3", TUNE, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "steps", "N", "20", TUNE, O_INT, AT(steps), 0, 2, 1e4,
      "steps of a path; of rwr the times that it learns at" },
    { "scheme", "NAME", "ancestral", TUNE, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step: of one evaluation, with noise" },
    { "eta", "X", "1", TUNE, O_REAL, AT(eta), 0, 0, 1,
      "randomness of ddim and eta-euler, 0 to 1" },
    { "n", "N", "64", TUNE, O_INT, AT(n), 0, 2, 1e6,
      "samples that are compared before and after (-n)" },
    { "out", "FILE", "tuned.safetensors", TUNE, O_OUT, AT(out), 0, 0, 0,
      "the model (-o)" },
    { "csv", "FILE", NULL, TUNE, O_OUT, AT(log), 0, 0, 0,
      "the rounds" },
    { "png", "FILE", NULL, TUNE, O_OUT, AT(png), 0, 0, 0,
      "picture: samples before, and the same noise after" },
    { "from", "FILE", NULL, BRIDGE, O_TEXT, AT(from), 0, 0, 0,
      "functions at time 0, of the grid; without it 0" },
    { "to", "FILE", NULL, BRIDGE, O_TEXT, AT(to), 0, 0, 0,
      "functions at the end, or .csv: x[,y[,z]],value[,sd] of one" },
    { "double-well", NULL, NULL, BRIDGE, O_YES, AT(well), 0, 0, 0,
      "instead: dX = -V' dt + dW, V = (x^2 - 1)^2, from -1 to 1; --time 4 --steps 128 by default" },
    { "operator", "SPEC", "heat", BRIDGE, O_SPEC, AT(heat), &t_operator, 0, 0,
      "A of dX = -A X dt + dW (fd help operator)" },
    { "time", "T", "1", BRIDGE, O_REAL, AT(time), 0, 1e-9, 1e9,
      "how long a path takes" },
    { "noise", "SD", "0", BRIDGE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the values of a .csv" },
    { "n", "N", "16", BRIDGE, O_INT, AT(n), 0, 1, 1e6,
      "how many paths; with --model at most as many as --from has, unless it is given" },
    { "steps", "N", "50", BRIDGE, O_INT, AT(steps), 0, 1, 1e6,
      "times of a path; each step is exact" },
    { "grid", "N[xM[xK]]", NULL, BRIDGE, O_GRID, AT(grid), 0, 0, 0,
      "points of the functions" },
    { "boundary", "NAME[,..]", "dirichlet", BRIDGE, O_BOUNDARY, AT(bc), 0, 0, 0,
      "boundaries of the axes" },
    { "cov", "SPEC", "matern:nu=0.5,l=0.2", BRIDGE, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance Q of the noise W" },
    { "out", "FILE", "bridge.npy", BRIDGE, O_OUT, AT(out), 0, 0, 0,
      "paths [n][steps + 1][points]; with --model the ends" },
    { "png", "FILE", NULL, BRIDGE, O_OUT, AT(png), 0, 0, 0,
      "picture: on a line each path with time downwards, else a row of frames" },
    { "map", "NAME", "viridis", BRIDGE, O_SPEC, AT(map), &t_map, 0, 0,
      "colours" },
    { "model", "FILE", NULL, POSTERIOR | CALIBRATE, O_TEXT, AT(model), 0, 0, 0,
      "prior: what fd train wrote; or" },
    { "prior", "SPEC", "matern:nu=1.5,l=0.3", POSTERIOR | CALIBRATE, O_SPEC, AT(prior), &t_cov, 0,
      0, "prior: Gaussian, of this covariance (fd help cov); with --model what its data are known "
         "to be" },
    { "obs", "FILE", NULL, POSTERIOR, O_TEXT, AT(obs), 0, 0, 0,
      "observations: x[,y[,z]],value[,channel][,sd], a line each; or MASK.npy:VALUES.npy" },
    { "coarse", "FILE", NULL, POSTERIOR, O_TEXT, AT(coarse), 0, 0, 0,
      "or: values on a coarser grid of the domain, .npy" },
    { "blur", "W:FILE", NULL, POSTERIOR, O_TEXT, AT(blur), 0, 0, 0,
      "or: the function under a Gaussian blur of width W at every point of the grid, .npy" },
    { "op", "SPEC", NULL, POSTERIOR | CALIBRATE, O_SPEC, AT(op), &t_op, 0, 0,
      "observed is the solution of an equation that the function enters (fd help op)" },
    { "state", "FILE", NULL, POSTERIOR, O_OUT, AT(state), 0, 0, 0,
      "of chains, .safetensors: go on from it where it exists, and write it at the end" },
    { "observe", "SPEC", "points:m=8", CALIBRATE, O_SPEC, AT(observe), &t_observe, 0, 0,
      "what is observed (fd help observe)" },
    { "noise", "SD", "0", POSTERIOR, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the noise, where the file has no column sd" },
    { "noise", "SD", "0.05", CALIBRATE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the noise" },
    { "method", "SPEC", "exact", POSTERIOR | CALIBRATE, O_SPEC, AT(method), &t_method, 0, 0,
      "how functions are drawn (fd help method)" },
    { "n", "N", "64", POSTERIOR, O_INT, AT(n), 0, 1, 1e6,
      "functions to draw" },
    { "n", "N", "200", CALIBRATE, O_INT, AT(n), 0, 16, 1e6,
      "unknown functions to test with" },
    { "draws", "N", "63", CALIBRATE, O_INT, AT(draws), 0, 7, 1e5,
      "functions drawn for each" },
    { "out", "FILE", "posterior.npy", POSTERIOR, O_OUT, AT(out), 0, 0, 0,
      "the functions (-o)" },
    { "out", "FILE", NULL, CALIBRATE, O_OUT, AT(out), 0, 0, 0,
      "the ranks as .csv (-o)" },
    { "csv", "FILE", NULL, CALIBRATE, O_OUT, AT(log), 0, 0, 0,
      "the same" },
    { "png", "FILE", NULL, CALIBRATE, O_OUT, AT(png), 0, 0, 0,
      "picture of the ranks" },
    { "png", "FILE", NULL, POSTERIOR, O_OUT, AT(png), 0, 0, 0,
      "mean, deviation and draws" },
    { "grid", "N[xM[xK]]", NULL, POSTERIOR | CALIBRATE, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of training" },
    { "boundary", "NAME[,..]", "neumann", POSTERIOR | CALIBRATE, O_BOUNDARY, AT(bc), 0, 0, 0,
      "of a Gaussian prior: one for all axes, or one each (fd help boundary)" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.3", POSTERIOR | CALIBRATE, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance of the sampler's noise; default: that of the prior" },
    { "process", "SPEC", "vp", POSTERIOR | CALIBRATE, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process of a Gaussian prior (fd help process)" },
    { "steps", "N", "100", POSTERIOR | CALIBRATE, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "scheme", "NAME", "ancestral", POSTERIOR | CALIBRATE, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step of the sampler (fd help scheme)" },
    { "times", "SPEC", "auto", POSTERIOR | CALIBRATE, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "eta", "X", "0", POSTERIOR | CALIBRATE, O_REAL, AT(eta), 0, 0, 1,
      "randomness of ddim and eta-euler, 0 to 1" },
    { "batch", "N", "16", POSTERIOR | CALIBRATE, O_INT, AT(batch), 0, 1, 1e6,
      "functions at a time; changes memory and speed, not results" },
    { "data", "FILE", NULL, CALIBRATE, O_TEXT, AT(data), 0, 0, 0,
      "with --model: the unknown functions; default: draws of --prior, if given, or the model" },
    { "map", "NAME", "viridis", POSTERIOR, O_SPEC, AT(map), &t_map, 0, 0,
      "colours (fd help map)" },
    { "data", "FILE", NULL, TRAIN | NOISE | DEMO, O_TEXT, AT(data), 0, 0, 0,
      "a file of functions, file:member, a folder of pictures; or fields (fd help fields)" },
    { "data", "FILE", NULL, EVAL, O_TEXT, AT(data), 0, 0, 0,
      "real functions, or fields" },
    { "data", "FILE", NULL, THESIS, O_TEXT, AT(data), 0, 0, 0,
      "images; the last sixth is not trained on" },
    { "table", "NAME", NULL, THESIS, O_TEXT, AT(table), 0, 0, 0,
      "only this one: 5.1, 5.2, 5.3, text or ours" },
    { "labels", "FILE", NULL, THESIS, O_TEXT, AT(labels), 0, 0, 0,
      "0 to 9 for each image, .npy or IDX: for the classifier" },
    { "labels", "FILE", NULL, TRAIN, O_TEXT, AT(labels), 0, 0, 0,
      "a whole number from 0 for each function, in any file of --data: told to the network" },
    { "drop", "P", "0.1", TRAIN, O_REAL, AT(drop), 0, 0, 1,
      "share of functions whose label is not told: for fd sample --guidance" },
    { "label", "N", "-1", SAMPLE, O_INT, AT(label), 0, -1, 65534,
      "of the functions, where the model was trained with --labels; -1: any" },
    { "guidance", "W", "0", SAMPLE, O_REAL, AT(guidance), 0, -1, 1e3,
      "with --label: D + W (D - D told nothing); 0: the label's own law" },
    { "samples", "FILE", NULL, EVAL, O_TEXT, AT(samples), 0, 0, 0,
      "what fd sample wrote" },
    { "model", "FILE", NULL, SAMPLE, O_TEXT, AT(model), 0, 0, 0,
      "what fd train wrote" },
    { "data", "FILE", NULL, LOGLIK, O_TEXT, AT(data), 0, 0, 0,
      "functions, or fields; without --model the default is draws of the target" },
    { "model", "FILE", NULL, LOGLIK, O_TEXT, AT(model), 0, 0, 0,
      "what fd train wrote, instead of an exact model" },
    { "model", "FILE", NULL, CERTIFY, O_TEXT, AT(model), 0, 0, 0,
      "what fd train wrote, instead of an exact model: by samples" },
    { "out", "FILE", "model.safetensors", TRAIN, O_OUT, AT(out), 0, 0, 0,
      "the model (-o)" },
    { "out", "FILE", "samples.npy", SAMPLE, O_OUT, AT(out), 0, 0, 0,
      "the samples (-o)" },
    { "out", "FILE", "data.npy", DATA, O_OUT, AT(out), 0, 0, 0,
      "the functions (-o)" },
    { "obs", "FILE", NULL, DATA, O_OUT, AT(obs), 0, 0, 0,
      "what goes with them: solutions, sinograms, or states at the start" },
    { "boundary", "NAME[,..]", "periodic", DATA, O_BOUNDARY, AT(bc), 0, 0, 0,
      "of field and mixture; the others have their own" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.1", DATA, O_SPEC, AT(cov), &t_cov, 0, 0,
      "of field (fd help cov)" },
    { "out", "FILE", "noise.npy", NOISE, O_OUT, AT(out), 0, 0, 0,
      "the functions (-o)" },
    { "out", "FILE", NULL, EVAL, O_OUT, AT(out), 0, 0, 0,
      "the table as .csv (-o)" },
    { "out", "FILE", NULL, CERTIFY, O_OUT, AT(out), 0, 0, 0,
      "the spectra as .csv (-o)" },
    { "out", "FILE", NULL, LOGLIK, O_OUT, AT(out), 0, 0, 0,
      "the densities as .csv (-o)" },
    { "out", "FILE", NULL, ORDERS, O_OUT, AT(out), 0, 0, 0,
      "the errors as .csv (-o)" },
    { "out", "FILE", "model.safetensors", CONVERT, O_OUT, AT(out), 0, 0, 0,
      "the network (-o); with a name that ends in .npz the tensors as they are" },
    { "as", "SPEC", "auto", CONVERT, O_SPEC, AT(as), &t_as, 0, 0,
      "the program, and what its files cannot tell (fd help as)" },
    { "grid", "N[xM[xK]]", NULL, CONVERT, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis: makes a model for fd sample and fd certify" },
    { "predict", "NAME", "noise", CONVERT, O_SPEC, AT(predict), &t_predict, 0, 0,
      "with --grid: x0, noise, score, v, velocity" },
    { "outdir", "FOLDER", "out/choice", CHOICE, O_TEXT, AT(outdir), 0, 0, 0,
      "where everything goes" },
    { "outdir", "FOLDER", "out/thesis", THESIS, O_TEXT, AT(outdir), 0, 0, 0,
      "where everything goes" },
    { "outdir", "FOLDER", "out/demo", DEMO, O_TEXT, AT(outdir), 0, 0, 0,
      "where everything goes" },
    { "resume", "FILE", NULL, TRAIN, O_TEXT, AT(resume), 0, 0, 0,
      "go on with this model: its settings, its optimiser" },
    { "log", "FILE", NULL, TRAIN, O_OUT, AT(log), 0, 0, 0,
      "loss by step, .csv" },
    { "by-mode", "FILE", NULL, TRAIN, O_OUT, AT(modes), 0, 0, 0,
      "error of x0 by wavenumber beside that of the best linear denoiser, .csv" },
    { "png", "FILE", NULL, TRAIN, O_OUT, AT(png), 0, 0, 0,
      "the same drawn" },
    { "png", "FILE", NULL, SAMPLE | NOISE | DATA, O_OUT, AT(png), 0, 0, 0,
      "a sheet of the functions" },
    { "png", "FILE", NULL, CERTIFY, O_OUT, AT(png), 0, 0, 0,
      "the spectra" },
    { "png", "FILE", NULL, ORDERS, O_OUT, AT(png), 0, 0, 0,
      "error against evaluations" },
    { "path", "FILE", NULL, SAMPLE, O_OUT, AT(path), 0, 0, 0,
      "a sheet of the way from noise to sample, .png" },
    { "grid", "N[xM[xK]]", NULL, DATA, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis" },
    { "grid", "N[xM[xK]]", NULL, TRAIN | NOISE | EVAL | DEMO, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of the data" },
    { "grid", "N[xM[xK]]", NULL, SAMPLE, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of training" },
    { "grid", "N[xM[xK]]", NULL, CERTIFY, O_GRID, AT(grid), 0, 0, 0,
      "the first grid, n; default: 32, or that of training" },
    { "grid", "N[xM[xK]]", "16", ORDERS, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis" },
    { "grid", "N[xM[xK]]", NULL, LOGLIK, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of the data, of training, or 32" },
    { "boundary", "NAME[,..]", "neumann", DEMO, O_BOUNDARY, AT(bc), 0, 0, 0,
      "one for all axes, or one each (fd help boundary)" },
    { "boundary", "NAME[,..]", "periodic",
        TRAIN | NOISE | EVAL | CERTIFY | ORDERS | CONVERT | LOGLIK | JUDGE,
      O_BOUNDARY, AT(bc), 0, 0, 0,
      "one for all axes, or one each (fd help boundary)" },
    { "channels", "NAME", NULL, TRAIN | EVAL | DEMO | LOGLIK | THESIS | JUDGE, O_AXES, AT(axes),
      &t_axes,
      0, 0,
      "axis of the channels in files: first, last, none (fd help channels)" },
    { "channels", "N", NULL, NOISE, O_AXES, AT(axes), &t_axes, 0, CHANNELS,
      "how many; with --data: where they are, first, last, none (fd help channels)" },
    { "normalize", "NAME", "auto", TRAIN | DEMO, O_SPEC, AT(normalize), &t_normalize, 0, 0,
      "what a network sees of the data: none, scale, pixel (fd help normalize)" },
    { "normalize", "NAME", "auto", EVAL, O_SPEC, AT(normalize), &t_normalize, 0, 0,
      "with --raw: what the model was trained with" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.1", NOISE | CERTIFY | ORDERS | LOGLIK, O_SPEC, AT(cov),
      &t_cov, 0, 0, "covariance of the noise (fd help cov)" },
    { "cov", "SPEC", "band", TRAIN | DEMO | CONVERT, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance of the noise (fd help cov)" },
    { "target", "SPEC", "matern:nu=2.5,l=0.3", CERTIFY | ORDERS | LOGLIK, O_SPEC, AT(target),
      &t_cov, 0, 0, "covariance of the data" },
    { "process", "SPEC", "vp", CERTIFY | CONVERT | LOGLIK, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process (fd help process)" },
    { "process", "SPEC", "vp:tmin=0.01", ORDERS, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process (fd help process)" },
    { "process", "SPEC", "vp-cosine", TRAIN | DEMO, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process (fd help process)" },
    { "net", "SPEC", "fno:modes=12,stencil=3", DEMO, O_SPEC, AT(net), &t_net, 0, 0,
      "network (fd help net)" },
    { "net", "SPEC", "fno", TRAIN, O_SPEC, AT(net), &t_net, 0, 0,
      "network (fd help net)" },
    { "precond", "SPEC", "gauss", TRAIN | DEMO, O_SPEC, AT(precond), &t_precond, 0, 0,
      "gauss or none (fd help precond)" },
    { "predict", "NAME", "x0", TRAIN | DEMO, O_SPEC, AT(predict), &t_predict, 0, 0,
      "with --precond none: x0, noise, score, v, velocity, score-half, score-full" },
    { "pairs", "A:B", NULL, TRAIN, O_TEXT, AT(pairs), 0, 0, 0,
      "instead of --data: learn the way from the functions of one file to those of another; "
      "--cov is then matern:nu=1,l=0.1,var=0.3 by default" },
    { "between", "SPEC", "bridge", TRAIN, O_SPEC, AT(between), &t_between, 0, 0,
      "what joins them: bridge, interpolant (fd help between)" },
    { "couple", "NAME", "random", TRAIN, O_SPEC, AT(couple), &t_couple, 0, 0,
      "which with which: random, paired, near" },
    { "condition", "SPEC", NULL, TRAIN, O_SPEC, AT(condition), &t_condition, 0, 0,
      "tell the network of observations: points, coarse, blur, mask (fd help condition)" },
    { "base", "NAME", "auto", TRAIN, O_TEXT, AT(base), 0, 0, 0,
      "what it then adds to: gauss, none, or the file of a model without observations" },
    { "weight", "NAME", "one", TRAIN | DEMO, O_SPEC, AT(weight), &t_weight, 0, 0,
      "of the loss: one, x0, noise, v, likelihood" },
    { "norm", "SPEC", "h", TRAIN | DEMO, O_SPEC, AT(norm), &t_norm, 0, 0,
      "of the loss: h, cm, stationary, sobolev:s=1, likelihood, step (fd help norm)" },
    { "time-law", "SPEC", "stratified", TRAIN | DEMO, O_SPEC, AT(law), &t_law, 0, 0,
      "of training times (fd help time-law)" },
    { "limit", "N", "0", TRAIN | NOISE | EVAL | DEMO | JUDGE, O_INT, AT(limit), 0, 0, INT_MAX,
      "use at most N functions of the data, chosen at random; 0: all" },
    { "steps", "N", "1000", TRAIN, O_INT, AT(steps), 0, 1, 1e9,
      "steps of training in all" },
    { "steps", "N", "50", LOGLIK, O_INT, AT(steps), 0, 1, 1e6,
      "steps of the flow, but for pf-adaptive, and of the bound" },
    { "steps", "N", "auto", SAMPLE | CERTIFY, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "steps", "N", "50", CHOICE, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "steps", "N", "512", ORDERS, O_INT, AT(steps), 0, 8, 1e5,
      "most steps; halved down to 4" },
    { "steps", "N", "20", DEMO, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "steps", "N", "100", THESIS, O_INT, AT(steps), 0, 4, 1e6,
      "evaluations of a network for a sample" },
    { "train", "N", "3000", THESIS, O_INT, AT(train), 0, 1, 1e9,
      "steps of training of each network" },
    { "budget", "SECONDS", "0", TRAIN, O_REAL, AT(budget), 0, 0, 1e9,
      "train for so long instead of --steps; 0: no limit" },
    { "budget", "SECONDS", "180", DEMO, O_REAL, AT(budget), 0, 1, 1e9,
      "time for training" },
    { "batch", "N", "16", DEMO, O_INT, AT(batch), 0, 1, 1e6,
      "functions in a step of training" },
    { "batch", "N", "32", TRAIN | THESIS, O_INT, AT(batch), 0, 1, 1e6,
      "functions in a step of training" },
    { "batch", "N", "16", SAMPLE | CERTIFY | LOGLIK, O_INT, AT(batch), 0, 1, 1e6,
      "functions at a time; changes memory and speed, not results" },
    { "lr", "X", "6e-3", DEMO, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "lr", "X", "4e-3", TRAIN, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "lr", "X", "1e-3", THESIS, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "lr-end", "X", "0", TRAIN | DEMO, O_REAL, AT(lr_end), 0, 0, 1e3,
      "rate at the last step, reached by a cosine" },
    { "warmup", "N", "50", TRAIN | DEMO, O_INT, AT(warmup), 0, 0, 1e9,
      "steps of rising rate" },
    { "decay", "X", "0", TRAIN | DEMO, O_REAL, AT(decay), 0, 0, 1e3,
      "weight decay" },
    { "clip", "X", "1", TRAIN | DEMO, O_REAL, AT(clip), 0, 0, BIG,
      "largest norm of the gradient; 0: any" },
    { "clip-each", "X", "0", TRAIN | DEMO, O_REAL, AT(clip_each), 0, 0, BIG,
      "then the largest entry of the gradient; 0: any" },
    { "optimizer", "SPEC", "adamw", TRAIN | DEMO, O_SPEC, AT(optimizer), &t_optimizer, 0, 0,
      "adamw, amsgrad, adabelief (fd help optimizer)" },
    { "accumulate", "N", "1", TRAIN | DEMO, O_INT, AT(accumulate), 0, 1, 1e6,
      "take a batch in N parts: less memory, the same gradient" },
    { "flip", "NAME", "none", TRAIN | DEMO, O_SPEC, AT(flip), &t_flip, 0, 0,
      "mirror data at random: none, last, all axes" },
    { "ema", "X", "0.999", TRAIN | DEMO, O_REAL, AT(ema), 0, 0, 0.999999999,
      "weight average that sampling uses: share kept each step" },
    { "save-every", "N", "0", TRAIN, O_INT, AT(save), 0, 0, 1e9,
      "write the model every N steps; 0: every 30 s, and at the end" },
    { "scheme", "NAME", "auto", SAMPLE | CERTIFY, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step of the sampler (fd help scheme); auto: by process (fd help process)" },
    { "scheme", "NAME", "pf-heun", DEMO, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step of the sampler (fd help scheme)" },
    { "scheme", "NAME", "pf-adaptive", LOGLIK, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "pf-heun, pf-midpoint, pf-rk4 or pf-adaptive" },
    { "times", "SPEC", "logsnr", ORDERS | CHOICE | LOGLIK, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "times", "SPEC", "auto", SAMPLE | CERTIFY | TUNE, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "times", "SPEC", "rho", DEMO, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "start", "NAME", "auto", SAMPLE | CERTIFY | TUNE, O_SPEC, AT(start), &t_start, 0, 0,
      "noise, unit or matched (fd help start)" },
    { "start", "NAME", "noise", LOGLIK, O_SPEC, AT(start), &t_start, 0, 0,
      "noise, unit or matched (fd help start)" },
    { "corrector", "SPEC", "none", SAMPLE | CERTIFY, O_SPEC, AT(corrector), &t_corrector, 0, 0,
      "Langevin steps (fd help corrector)" },
    { "churn", "X", "1", DEMO, O_REAL, AT(churn), 0, 0, 100,
      "after a step, go back by so much of it with noise, and again" },
    { "churn", "X", "0", SAMPLE | CERTIFY, O_REAL, AT(churn), 0, 0, 100,
      "after a step, go back by so much of it with noise, and again" },
    { "eta", "X", "0.5", ORDERS, O_REAL, AT(eta), 0, 0, 1,
      "randomness of eta-euler, 0 to 1" },
    { "eta", "X", "0", SAMPLE | DEMO | CERTIFY, O_REAL, AT(eta), 0, 0, 1,
      "randomness of ddim and eta-euler, 0 to 1" },
    { "denoise", "0|1", "1", SAMPLE | DEMO | CERTIFY, O_INT, AT(denoise), 0, 0, 1,
      "end with the model's mean" },
    { "probes", "N", "0", LOGLIK, O_INT, AT(probes), 0, 0, 1e4,
      "random vectors for the trace of the flow; 0: exact, for a network 8" },
    { "n", "N", "16", LOGLIK, O_INT, AT(n), 0, 1, 1e8,
      "how many functions at most (-n)" },
    { "n", "N", "16", SAMPLE | NOISE | DATA, O_INT, AT(n), 0, 1, 1e8,
      "how many functions (-n)" },
    { "n", "N", "64", CERTIFY, O_INT, AT(n), 0, 4, 1e6,
      "how many samples of a model (-n)" },
    { "tol", "X", "0", CERTIFY, O_REAL, AT(tol), 0, 0, 1e6,
      "most relative change that passes; 0: 1e-3, or 0.1 for a model" },
    { "bridge", "SPEC", NULL, CERTIFY, O_SPEC, AT(heat), &t_operator, 0, 0,
      "instead: bridges of dX = -A X dt + dW between functions of the target (fd help operator)" },
    { "conditions", NULL, NULL, CERTIFY, O_YES, AT(conditions), 0, 0, 0,
      "instead: what the theory asks of noise, process and data, and what of it holds" },
    { "law", "X", "0", CERTIFY, O_REAL, AT(law_tol), 0, 0, 1e6,
      "most relative difference of a wave's variance to the data's that passes; 0: any" },
    { "n", "N", "1000", EVAL, O_INT, AT(n), 0, 2, 1e8,
      "how many functions at most (-n)" },
    { "n", "N", "512", THESIS, O_INT, AT(n), 0, 33, 1e6,
      "how many samples of each row (-n)" },
    { "n", "N", "128", DEMO, O_INT, AT(n), 0, 16, 1e6,
      "how many samples for the figures (-n)" },
    { "first", "N", "0", SAMPLE | NOISE | DATA, O_INT, AT(first), 0, 0, 1e8,
      "number of the first function: 16 of 8 on are the last 8 of 16 and 8 more" },
    { "raw", NULL, NULL, SAMPLE | EVAL | LOGLIK, O_YES, AT(raw), 0, 0, 0,
      "values as the model has them, normalised" },
    { "pcs", "N", "32", EVAL | DEMO, O_INT, AT(pcs), 0, 1, 4096,
      "principal components of the Frechet distance" },
    { "map", "NAME", "viridis", SAMPLE | NOISE | TUNE | DATA, O_SPEC, AT(map), &t_map, 0, 0,
      "colours: gray, gray-inverse, viridis, diverging" },
    { "train", "STEPS", "0", CHOICE, O_INT, AT(train), 0, 0, 1e9,
      "train a network for each row, too" },
    { "seed", "N", "1", ALL & ~(INFO | CONVERT), O_SEED, AT(seed), 0, 0, 0,
      "all randomness comes from it" },
    { "threads", "N", "0", ALL & ~(INFO | CONVERT), O_INT, AT(threads), 0, 0, 1024,
      "0: as many as the machine has; results do not depend on it" },
    { "memory", "SIZE", NULL, ALL, O_SIZE, AT(memory), 0, 0, 0,
      "most memory to use, e.g. 512M; default: $FD_MEMORY or 8G" },
    { "help", NULL, NULL, ALL, O_YES, AT(help), 0, 0, 0,
      "this text (-h)" },
};
static char given[COUNT(options)];

static inline int is_given(const char *name)
{
    for (int i = 0; i < COUNT(options); i++)
        if (given[i] && !strcmp(options[i].name, name)) return 1;
    return 0;
}

static inline shape grid_read(const char *flag, const char *text)
{
    shape g = { 0, { 1, 1, 1 } };
    const char *p = text;
    for (;;) {
        char *end;
        long v = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : 0;
        if (v > 1 << 24) die(bad, "%s: '%s': more than 2^24 points on an axis", flag, text);
        if (v < 1 || g.nd == 3) break;
        g.n[g.nd++] = (int)v;
        if (!*end) {
            if ((double)g.n[0] * g.n[1] * g.n[2] > 1 << 28)
                die(bad, "%s: '%s': more than 2^28 points", flag, text);
            return g;
        }
        if (*end != 'x' && *end != 'X') break;
        p = end + 1;
    }
    die(bad, "%s: '%s': expected N, NxM or NxMxK", flag, text);
    return g;
}

static inline double size_read(const char *flag, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    const char *unit = "KMGT", *u = *end ? strchr(unit, toupper((unsigned char)*end)) : NULL;
    if (u) { v = ldexp(v, 10 * (int)(u - unit + 1)); end++; }
    if (end == text || *end || !(v >= 65536 && v <= 1e15))
        die(bad, "%s: '%s': expected a size like 512M or 8G, 64K at least", flag, text);
    return v;
}

/* seed_read -- a whole number below 2^64, exactly. */
static inline uint64_t seed_read(const char *flag, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || v > UINT64_MAX)
        die(bad, "%s: '%s': expected a whole number from 0 to %" PRIu64, flag, text, UINT64_MAX);
    return v;
}

static inline void boundary_read(const char *flag, const char *text, int bc[3])
{
    char buf[128];
    int n = 0;
    if (strlen(text) >= sizeof buf) die(bad, "%s: too long", flag);
    strcpy(buf, text);
    for (char *p = buf, *next; p; p = next) {
        next = strchr(p, ',');
        if (next) *next++ = 0;
        if (n == 3) die(bad, "%s: '%s': more than three axes", flag, text);
        bc[n++] = spec_read(&t_boundary, flag, p).row;
    }
    for (int i = n; i < 3; i++) bc[i] = bc[n - 1];
}

static inline void option_set(args *o, const option *p, const char *s)
{
    char *at = (char *)o + p->at, flag[64];
    double v = 0;
    sprintf(flag, "--%s", p->name);
    int by_process = p->kind == O_INT && p->def && !strcmp(p->def, "auto") && !strcmp(s, "auto");
    if ((p->kind == O_INT || p->kind == O_REAL) && !by_process) {
        int whole = p->kind == O_INT;
        if (!number(s, p->lo, p->hi, &v) || (whole && v != floor(v)))
            die(2, "--%s: '%s': expected a%s number from %.16g to %.16g", p->name, s,
                whole ? " whole" : "", p->lo, p->hi);
    }
    switch (p->kind) {
    case O_YES: *(int *)(void *)at = 1; break;
    case O_INT: *(int *)(void *)at = (int)v; break;
    case O_REAL: *(double *)(void *)at = v; break;
    case O_SEED: *(uint64_t *)(void *)at = seed_read(flag, s); break;
    case O_SIZE: *(double *)(void *)at = size_read(flag, s); break;
    case O_TEXT: case O_OUT:
        if (!*s) die(2, "%s: needs a file name", flag);
        *(const char **)(void *)at = s;
        break;
    case O_GRID: *(shape *)(void *)at = grid_read(flag, s); break;
    case O_AXES:
        o->channels = 0;
        if (p->hi > 0 && number(s, 1, p->hi, &v) && v == floor(v)) o->channels = (int)v;
        else o->axes = spec_read(p->t, flag, s).row;
        break;
    case O_BOUNDARY: boundary_read(flag, s, (int *)(void *)at); break;
    case O_SPEC: *(spec *)(void *)at = spec_read(p->t, flag, s); break;
    }
}

/* distance -- of two words: the fewest letters to insert, drop or change (Levenshtein). */
static inline int distance(const char *a, const char *b)
{
    int d[64], n = (int)strlen(b);
    if (n > 63) return 99;
    for (int j = 0; j <= n; j++) d[j] = j;
    for (; *a; a++) {
        int diag = d[0]++;
        for (int j = 1; j <= n; j++) {
            int best = diag + (*a != b[j - 1]);
            diag = d[j];
            if (d[j - 1] + 1 < best) best = d[j - 1] + 1;
            if (d[j] + 1 < best) best = d[j] + 1;
            d[j] = best;
        }
    }
    return d[n];
}

/* unknown -- names the flag and the three that are most like it, or all where there are fewer. */
static inline void unknown(int command, const char *word, const char *where)
{
    char list[128] = "";
    char used[COUNT(options)] = { 0 };
    for (int k = 0; k < 3; k++) {
        int best = -1, least = 0;
        for (int i = 0; i < COUNT(options); i++) {
            int d = distance(word, options[i].name);
            if (!(options[i].of & command) || used[i] || (best >= 0 && d >= least)) continue;
            best = i, least = d;
        }
        if (best < 0) break;
        used[best] = 1;
        strcat(strcat(list, k ? ", --" : "--"), options[best].name);
    }
    die(2, "--%s: unknown flag; nearest are %s; %s lists all", word, list, where);
}

static inline void options_help(int command)
{
    for (int i = 0; i < COUNT(options); i++) {
        const option *p = &options[i];
        char left[64];
        if (!(p->of & command)) continue;
        sprintf(left, "--%s %s", p->name, p->arg ? p->arg : "");
        printf("  %-23s %s", left, p->help);
        if (p->def && strcmp(p->def, "0")) printf(" [%s]", p->def);
        putchar('\n');
    }
}

/* format_check -- dies where the name of a file says another format than that which is written: a
 * default says it, or the name of the flag, or its help. --state is read as well, and says then
 * what it finds. */
static inline void format_check(const option *p, const char *path)
{
    static const char *const known[] = { "npy", "npz", "csv", "png", "safetensors", "json", "txt",
        "mat", "h5", "hdf5", "nc", "pt", "pkl", "zarr", "jpg", "jpeg", "pdf" };
    const char *dot = strrchr(path, '.'), *def = p->def ? strrchr(p->def, '.') : NULL;
    const char *is = def ? def + 1 : !strcmp(p->name, "png") || strstr(p->help, ".png") ? "png"
                   : !strcmp(p->name, "obs") ? "npy" : "csv";
    if (!strcmp(p->name, "state") || !dot || strchr(dot, '/') || !strcmp(dot + 1, is)) return;
    if (p->of == CONVERT && !strcmp(dot, ".npz")) return;
    if (!strcmp(is, "csv") && !strcmp(dot, ".txt")) return;
    for (int i = 0; i < COUNT(known); i++)
        if (!strcmp(dot + 1, known[i]))
            die(2, "--%s: '%s': what is written is .%s%s: name it so%s", p->name, path, is,
                p->of == CONVERT ? " or .npz" : "", strcmp(is, "npy") ? ""
                : "; numpy.load reads it, and numpy.savetxt makes .csv of it");
}

/* paths_check -- dies where a file cannot be written, or is named twice. */
static inline void paths_check(args *o, int command)
{
    for (int i = 0; i < COUNT(options); i++) {
        if (options[i].kind != O_OUT || !(options[i].of & command)) continue;
        const char *path = *(const char *const *)(const void *)((char *)o + options[i].at);
        if (!path) continue;
        can_write(options[i].name, path);
        /* a model may be written where it was read */
        for (int j = 0; j < COUNT(options); j++) {
            const option *in = &options[j];
            if (in->kind != O_TEXT || !given[j] || !strcmp(in->name, "resume")
                || (command == TUNE && !strcmp(in->name, "model")))
                continue;
            const char *other = *(const char *const *)(const void *)((char *)o + in->at);
            if (other && !strcmp(path, other))
                die(2, "--%s: '%s' is what --%s reads", options[i].name, path, in->name);
        }
        for (int j = 0; j < i; j++) {
            if (options[j].kind != O_OUT || !(options[j].of & command)) continue;
            const char *other = *(const char *const *)(const void *)((char *)o + options[j].at);
            if (other && !strcmp(path, other))
                die(2, "--%s: '%s': --%s writes there", options[i].name, path, options[j].name);
        }
        format_check(&options[i], path);
    }
}

/* options_read -- fill o for a command; where: "fd help train". */
static inline void options_read(args *o, int command, const char *where, int argc, char **argv)
{
    static const char *const shorts[] = { "-n", "n", "-o", "out", "-h", "help" };
    memset(o, 0, sizeof *o);
    for (int k = 0; k < FD_SCHEMES && k < ROWS; k++) {
        t_scheme.rows[k].name = fd_scheme_name(k);
        t_scheme.rows[k].help = k == FD_ANCESTRAL_OPTIMAL ? "for exact models, not for networks"
                              : k == FD_ANNEALED ? "needs a --corrector"
                              : k == FD_PF_MULTISTEP ? "keeps the last prediction"
                              : k < FD_ONE_STAGE ? "" : "several evaluations a step";
    }
    t_scheme.rows[SCHEME_AUTO].name = "auto";
    t_scheme.rows[SCHEME_AUTO].help = "what the process wants (fd help process)";
    for (int i = 0; i < COUNT(options); i++)
        if ((options[i].of & command) && options[i].def) option_set(o, &options[i], options[i].def);
    o->memory = size_read("FD_MEMORY", getenv("FD_MEMORY") ? getenv("FD_MEMORY") : "8G");
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        char name[64];
        int k = 0;
        for (int j = 0; j < COUNT(shorts); j += 2)
            if (!strcmp(word, shorts[j])) { word = name; sprintf(name, "--%s", shorts[j + 1]); }
        if (strncmp(word, "--", 2) || !word[2] || word[2] == '=')
            die(2, "'%s': expected a flag; %s lists them", word, where);
        word += 2;
        size_t n = strcspn(word, "=");
        if (word[n]) value = word + n + 1;
        if (n >= sizeof name) die(2, "'--%.40s...': unknown flag; %s lists them", word, where);
        memmove(name, word, n);
        name[n] = 0;
        while (k < COUNT(options) && !((options[k].of & command) && !strcmp(options[k].name, name)))
            k++;
        if (k == COUNT(options)) unknown(command, name, where);
        if (options[k].kind == O_YES) {
            if (value) die(2, "--%s: takes no value", name);
        } else if (!value) {
            if (++i == argc) die(2, "--%s: needs a value: %s", name, options[k].arg);
            value = argv[i];
        }
        option_set(o, &options[k], value);
        given[k] = 1;
    }
    if (o->help) return;
    paths_check(o, command);
#ifdef _OPENMP
    if (o->threads) omp_set_num_threads(o->threads);
#endif
}

/* arena_make -- the one buffer of the program: as much address space as may be had up to the limit;
 * the system gives real memory where it is touched, in large pages if it has them. */
static inline fd_arena arena_make(const args *o, fd_status *st)
{
    static void *mem;
    size_t n = (size_t)o->memory;
    while (posix_memalign(&mem, (size_t)1 << 21, n) && n > 1 << 20) n /= 2;
    if (!mem) die(1, "--memory: no memory at all");
#ifdef MADV_HUGEPAGE
    madvise(mem, n, MADV_HUGEPAGE);
#endif
    return fd_arena_over(mem, n, st);
}

/* ---- Building from specs: cases in the order of the tables ----------------------------------- */

/* What is done to the values of a file: x = scale file + shift in each channel, less center. */
typedef struct {
    int kind, bytes;                       /* row of t_normalize; does the file hold bytes? */
    double scale[CHANNELS], shift[CHANNELS];
    fd_real *center;                       /* [ch][points] on the model's grid, or NULL for 0 */
} normal;

/* All that sampling needs. */
typedef struct kit kit;
typedef struct dataset dataset;
struct kit {
    spec cov, process, predict, precond;
    int axes;                              /* row of t_axes: of the files of its functions */
    normal norm;
    fd_space s;
    fd_cov *noise, *c0;                    /* of the process; of the data */
    fd_real *mean;                         /* of the data */
    fd_process p, learned;                 /* on this grid; as it was on the grid of training */
    fd_precond *pre;                       /* NULL: none */
    fd_net *net;
    fd_opt *opt;
    fd_real *from;                         /* of fd tune: the weights before; else NULL */
    fd_model model;                        /* with the averaged weights */
    spec condition;                        /* t NULL: the network is not told of observations ... */
    const char *base;                      /* ... else "none", "gauss" or the file of ... */
    const kit *frozen;                     /* ... this model */
    uint64_t places;                       /* the seed of where it observes */
    fd_condition how;
    fd_model raw;                          /* the network as fd_amortised_model wants it */
    fd_obs o;                              /* what it observes, where that does not move */
    fd_amortised *told, *alone;            /* of o, else NULL; without observations */
    /* between.t NULL: no model of pairs. Else what is above is of the ends of pairs, and axes0,
     * norm0 and (in training) starts are of where they start. */
    spec between, couple;
    int axes0;
    normal norm0;
    const dataset *starts;
    double drop;                           /* of labels */
    fd_linear line;
    fd_interpolant mid;
};

/* Functions as a model sees them; the section "Data" says how they come to be. */
struct dataset {
    const char *name;                      /* of the file */
    fd_space s, from;                      /* as they are used, as they are in the file */
    int m, total, axes;                    /* how many are used, are there; row of t_axes */
    const int *order;                      /* which ones, or NULL: the first m */
    normal norm;
    fd_real *x;                            /* [total][ch][points] in memory, or NULL: */
    source file;                           /* they are read when they are needed */
    double mid[CHANNELS], sd[CHANNELS];    /* of the values in the file */
    fd_real *mean;                         /* of what a model sees: the mean [ch][points], and */
    double *var;                           /* [modes] variances, averaged over channels */
    const int *label;                      /* [m], or NULL; from 0 to ... */
    int labels;                            /* ... one less than that */
};

enum { COV_BAND = 1, COV_EMPIRICAL = 9, COV_PIXEL, COV_ORTHO, COV_FDP };
static inline double ref_of(const spec *c)             /* the key ref, of the last rows */
{
    return c->row < COV_PIXEL ? 1 : c->v[keys_of(&c->t->rows[c->row]) - 1];
}

/* cov_table -- of given eigenvalues. */
static inline fd_cov *cov_table(fd_arena *a, const fd_space *s, const fd_real *lam)
{
    double *v = fd_raw(a, double, s->modes);
    for (ptrdiff_t i = 0; v && i < s->modes; i++) v[i] = (double)lam[i];
    return v ? fd_cov_table(a, s, v) : NULL;
}

/* cov_pixel -- what orthonormal transforms of pixels do: rho_k / ref, ref pixels in all. */
static inline fd_cov *cov_pixel(fd_arena *a, const fd_space *s, const spec *c, double ref)
{
    const double *v = c->v;
    double *lam = fd_new(a, double, s->modes), n2 = pow(ref, 2.0 / s->nd), pi = acos(-1);
    if (!lam) return NULL;
    fd_laplace(s, lam, *a);
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        double rho = c->row == COV_PIXEL ? v[0] * v[0]
                   : c->row == COV_ORTHO ? v[0] * pow(lam[k] / (4 * pi * pi) + v[1] * v[1], -v[2])
                                         : 2 * pow(v[1] + lam[k] / n2, -v[0]);
        lam[k] = rho / ref;
    }
    return fd_cov_table(a, s, lam);
}

/* cov_build -- on s; points: those of the grid that ref=0 speaks of, 0: of s. */
static inline fd_cov *cov_build(fd_arena *a, const fd_space *s, const spec *c, const dataset *d,
                                ptrdiff_t points)
{
    const double *v = c->v;
    fd_cov *r = NULL;
    double scale = v[0], n = 0, *lam;
    int j[3];
    switch (c->row) {
    case 0: return fd_cov_white(a, s, v[0] * v[0], (int)v[1]);
    case 1:                                            /* elsewhere fd_cov_on adds zeros */
        lam = fd_new(a, double, s->modes);
        for (ptrdiff_t i = 0; lam && i < s->modes; i++) n += !fd_mode(s, i, j);
        for (ptrdiff_t i = 0; lam && i < s->modes; i++) lam[i] = fd_mode(s, i, j) ? 0 : v[0] / n;
        return lam ? fd_cov_table(a, s, lam) : NULL;
    case 2: case 3: case 4:
        scale = v[c->row == 3 ? 2 : 1];
        for (int again = v[c->row == 3 ? 3 : 2] == 0; again >= 0; again--) {
            r = c->row == 2 ? fd_cov_rbf(a, s, scale, v[0])
              : c->row == 3 ? fd_cov_matern(a, s, scale, v[1], v[0])
                            : fd_cov_exp(a, s, scale, v[0]);
            if (again && scale > 0) scale *= scale / fd_cov_pixel(r);
        }
        return r;
    case 5: case 6:
        if (v[3] > 0) scale = 1;
        for (int again = v[3] > 0; again >= 0; again--) {
            r = c->row == 5 ? fd_cov_power(a, s, scale, v[1], v[2])
                            : fd_cov_bessel(a, s, scale, v[1], v[2]);
            double trace = r ? fd_cov_trace(r) : 1;            /* the domain has volume 1 */
            if (again && !(trace > 0 && v[3] / trace < INFINITY))
                die(bad, "--cov: the eigenvalues are too small or too large for var");
            if (again) scale = v[3] / trace;
        }
        return r;
    case 7: return fd_cov_bridge(a, s, v[0]);
    case 8: return fd_cov_brownian(a, s, v[0]);
    case COV_EMPIRICAL:
        if (!d) die(2, "--cov: empirical is the spectrum of given functions; here are none");
        return fd_cov_spectrum(a, s, d->var, v[0]);
    default:
        if (ref_of(c) > 0) points = (ptrdiff_t)ref_of(c);
        else if (!points) points = s->points;
        return c->row == COV_FDP ? fd_fdp_noise(a, s, v[0], points)
                                 : cov_pixel(a, s, c, (double)points);
    }
}
enum { PROCESS_DDPM = 7, PROCESS_LADDER = 9 };

/* cov_again -- the covariance that c was built with on one grid on another. */
static inline fd_cov *cov_again(fd_arena *a, const fd_space *s, const spec *c, const fd_cov *first,
                                ptrdiff_t points)
{
    return c->row == COV_BAND || c->row == COV_EMPIRICAL ? fd_cov_on(a, first, s)
                                                         : cov_build(a, s, c, NULL, points);
}

/* process_build -- N: pixels of the first axis of the grid that unit=pixel speaks of, 0: of c's. */
static inline fd_process process_build(fd_arena *a, const fd_cov *c, const spec *p, int N)
{
    const double *v = p->v;
    fd_process r, *base;
    double tmin = 0, pixel = 1;
    if (c && (p->row == 11 || p->row == 12) && v[2] > 0) pixel = N ? N : c->s.n[0];
    const char *name = p->t->rows[p->row].name;
    if ((p->row == 0 || p->row == 2) && !(v[0] + v[1] > 0))
        die(bad, "--process: %s: b0 + b1 must be above 0", name);
    if (p->row == 3 && !(v[1] > v[0])) die(bad, "--process: %s: smax must be above smin", name);
    if (p->row == 6 && v[0] >= 1) die(bad, "--process: %s: smin must be below 1", name);
    switch (p->row) {
    case 0: r = fd_vp(c, v[0], v[1]); tmin = v[2]; break;
    case 1: r = fd_vp_cosine(c); tmin = v[0]; break;
    case 2: r = fd_subvp(c, v[0], v[1]); tmin = v[2]; break;
    case 3: r = fd_ve(c, v[0], v[1]); tmin = v[2]; break;
    case 4: r = fd_ou(c, v[0]); tmin = v[1]; break;
    case 5: r = fd_driftless(c, v[0]); tmin = v[1]; break;
    case 6: r = fd_flow(c, v[0]); tmin = v[1]; break;
    case PROCESS_DDPM: {
        double *beta = fd_raw(a, double, (int)v[0]);
        if (!beta) return (fd_process){ 0 };
        fd_beta_schedule((int)v[3], (int)v[0], v[1], v[2], beta, a->st);
        r = fd_ddpm_betas(a, c, (int)v[0], beta);
        break;
    }
    case 8: r = fd_flow_vp(c, v[0]); tmin = v[1]; break;
    case PROCESS_LADDER:
        if (v[1] <= v[0]) die(bad, "--process: ladder needs v1 < vT");
        r = fd_ladder(c, v[0], v[1], (int)v[2]);
        break;
    case 10: r = fd_fdp(a, c, v[0], v[1], NULL); tmin = v[2]; break;
    case 11: r = fd_heat(c, v[0], v[1] / (pixel * pixel), NULL, NULL, v[3]); tmin = v[4]; break;
    case 12: r = fd_heat_cosine(c, v[0], v[1] / (pixel * pixel)); tmin = v[3]; break;
    default:
        if (v[1] < v[0]) die(bad, "--process: blur needs w0 <= w1");
        base = fd_new(a, fd_process, 1);
        if (!base) return (fd_process){ 0 };
        *base = fd_flow_vp(c, 0);
        base->tmin = 2 / acos(-1) * atan(exp(-5));
        base->tmax = 1 - base->tmin;
        r = fd_blur(base, v[0], v[1]);
        tmin = v[2];
    }
    if (r.why) die(bad, "--process: %s", r.why);
    if (!r.law) { spec_need(a->st, "process"); return r; }
    if (tmin > 0) r.tmin = tmin;
    if (r.tmin >= r.tmax)
        die(bad, "--process: tmin=%g is not below the last time, %g", r.tmin, r.tmax);
    return r;
}

static inline fd_arch arch_build(const spec *n, const fd_space *s)
{
    const row *r = &n->t->rows[n->row];
    fd_arch arch;
    char word[32];
    int modes = -1, patch = 0;
    memset(&arch, 0, sizeof arch);
    arch.kind = net_kind[n->row];
    arch.nd = s->nd;
    arch.in = arch.out = s->ch;
    for (int i = 0; i < keys_of(r); i++) {
        const key *k = &r->keys[i];
        double v = n->v[i];
        int j = 0;
        if (!strcmp(k->name, "modes") || !strcmp(k->name, "waves")) modes = (int)v;
        if (!strcmp(k->name, "patch")) patch = (int)v;
        while (j < COUNT(net_keys) && (strcmp(net_keys[j].key, k->name)
               || (net_keys[j].kind && net_keys[j].kind != arch.kind))) j++;
        if (j == COUNT(net_keys)) continue;
        char *at = (char *)&arch + net_keys[j].at;
        if (net_keys[j].words)
            v = net_keys[j].first + choice(net_keys[j].words, choice_word(k, (int)v, word));
        if (net_keys[j].real) *(double *)(void *)at = v;
        else *(int *)(void *)at = (int)v;
    }
    /* modes count -M..M-1 */
    int signs = arch.kind == FD_FNO_ORIGINAL || arch.kind == FD_FNO_SEPARABLE;
    for (int i = 0; i < s->nd; i++) {
        int most = s->nd < 3 ? 13 : 6, half = s->n[i] > 2 * most ? most : (s->n[i] - 1) / 2;
        if (arch.kind == FD_POINTS) arch.points.waves[i] = modes;
        else if (modes >= 0)
            arch.fno.modes[i] = modes ? modes : half < 1 ? 1 : signs ? half : 2 * half;
        arch.vit.patch[i] = patch;
        arch.grid[i] = s->n[i];
        arch.fno.pad[i] = arch.fno.pad[0];
    }
    return arch;
}

/* net_build -- or an error that names the flag, and numbers without the struct of fd_arch that they
 * stand in, as they are given. */
static inline fd_net *net_build(fd_arena *a, const fd_arch *arch, fd_rng r)
{
    static const char *const in[] = { " fno.", " u.", " vit.", " points.", " inr." };
    char why[256], *at;
    fd_net *net = fd_net_new(a, arch, r);
    if (a->st->code == FD_EARG && fd_explain(a->st, why, sizeof why)) {
        for (int i = 0; i < COUNT(in); i++)
            while ((at = strstr(why, in[i]))) 
                memmove(at + 1, at + strlen(in[i]), strlen(at + strlen(in[i])) + 1);
        die(2, "--net: %s", why);
    }
    need(a->st);
    return net;
}

/* ---- Data --------------------------------------------------------------------------------------
 *
 * data_open finds out how a file is to be read; data_measure takes one pass over its functions,
 * which says whether they can be used and how they are normalised; data_take reads one of them.
 * Only what is small is kept in memory (data_keep): for what is large, memory depends on the size
 * of a function alone. */

enum { AXES_NONE = 1, AXES_FIRST, AXES_LAST };                     /* rows of t_axes */
enum { NORMALIZE_NONE = 1, NORMALIZE_SCALE, NORMALIZE_PIXEL };     /* of t_normalize */

static inline ptrdiff_t points_of(const fd_array *f, int from)
{
    ptrdiff_t n = 1;
    for (int i = from; i < f->nd; i++) n *= f->n[i];
    return n;
}

/* extents -- "28x28"; returns where the text ends. */
static inline char *extents(char *text, int nd, const int n[], const char *between)
{
    *text = 0;
    for (int i = 0; i < nd; i++) text += sprintf(text, "%s%d", i ? between : "", n[i]);
    return text;
}

static inline const char *grid_text(const fd_space *s, char text[64])
{
    extents(text, s->nd, s->n, "x");
    return text;
}

/* axes_as -- what a way to read n[nd], the axes of a function, makes of them: the grid and the
 * channels. 0 where that cannot be. */
static inline int axes_as(int axes, int nd, const int n[], shape *g, int *ch)
{
    int grid = nd - (axes != AXES_NONE), first = axes == AXES_FIRST;
    if (grid < 1 || grid > 3) return 0;
    *ch = axes == AXES_NONE ? 1 : first ? n[0] : n[nd - 1];
    g->nd = grid;
    for (int i = 0; i < 3; i++) g->n[i] = i < grid ? n[first + i] : 1;
    return *ch <= CHANNELS;
}

/* axes_read -- the row of t_axes by which a file is read. An axis of 1 to 4 beside longer ones, the
 * second of the file or the last, is hardly one of the grid, but it may be: who has not said is
 * asked. There is nothing to ask where it has one point, where the grid had four axes with it, for
 * pictures, or where a model, k, knows. */
static inline int axes_read(const source *f, const args *o, const kit *k, shape *g, int *ch)
{
    int nd = f->nd - 1 - f->complex, axes = o->axes, most = 0, shortest[4] = { 0 };
    const int *n = f->n + 1;
    char shape_[96], ways[256] = "", *at = ways;
    extents(shape_, f->nd, f->n, ",");
    for (int i = 0; i < f->nd; i++)
        if (f->n[i] < 1) die(1, "%s: it is empty: axis %d has length 0", f->path, i);
    for (int i = 0; i < nd; i++) if (n[i] > most) most = n[i];
    if (nd > 1 && most > 4) shortest[AXES_FIRST] = n[0] <= 4, shortest[AXES_LAST] = n[nd - 1] <= 4;
    int brief = shortest[AXES_FIRST] + shortest[AXES_LAST];
    if (!axes && f->files && nd == 3) axes = AXES_LAST;                /* pictures in colours */
    if (!axes && k && f->nd == 1 + k->s.nd + (k->axes != AXES_NONE)) axes = k->axes;
    if (f->complex) {
        if (axes && axes != AXES_LAST)
            die(2, "--channels: %s holds complex numbers, which are two channels, last", f->path);
        if (brief)
            die(1, "%s: shape (%s): complex numbers in several channels: write real and imaginary "
                "parts as channels of their own", f->path, shape_);
        axes = AXES_LAST;
        nd++;
    } else if (!axes && nd > 0) {
        int one = shortest[AXES_FIRST] ? AXES_FIRST : AXES_LAST;
        if (!brief) axes = nd <= 3 ? AXES_NONE : 0;
        else if (brief == 1 && (nd == 4 || (one == AXES_FIRST ? n[0] : n[nd - 1]) == 1)) axes = one;
        for (int way = AXES_LAST; !axes && way; way--) {
            if (!axes_as(way, nd, n, g, ch)) continue;
            if (brief && way != AXES_NONE && !shortest[way]) continue;
            at += sprintf(at, "%s%s: ", at > ways ? "; " : "", t_axes.rows[way].name);
            if (way != AXES_NONE) at += sprintf(at, "%d channels on ", *ch);
            else at += sprintf(at, "a grid of ");
            at = extents(at, g->nd, g->n, "x");
        }
        if (!axes && *ways)
            die(2, "%s: shape (%s): which axis is that of the channels? --channels %s", f->path,
                shape_, ways);
    }
    if (!axes || !axes_as(axes, nd, n, g, ch))
        die(1, "%s: shape (%s): expected %s, a grid of 1 to 3 axes%s", f->path, shape_,
            t_axes.rows[axes ? axes : AXES_NONE].help,
            axes > AXES_NONE ? " and up to 64 channels" : "");
    return axes;
}

/* normal_plain -- values as they are, bytes as -1 to 1. */
static inline normal normal_plain(int bytes)
{
    normal v = { NORMALIZE_NONE, bytes, { 0 }, { 0 }, NULL };
    for (int c = 0; c < CHANNELS; c++) {
        v.scale[c] = bytes ? 2.0 / 255 : 1;
        v.shift[c] = bytes ? -1 : 0;
    }
    return v;
}

/* data_array -- m functions that are in memory. */
static inline dataset data_array(const char *name, const fd_space *s, int m, fd_real *x)
{
    dataset d;
    memset(&d, 0, sizeof d);
    d.name = name;
    d.s = d.from = *s;
    d.m = d.total = m;
    d.axes = s->ch > 1 ? AXES_FIRST : AXES_NONE;
    d.x = x;
    d.norm = normal_plain(0);
    return d;
}

/* fields -- sum over k components of N(mean_j, Matern): smooth functions about k smooth means. The
 * same functions on every grid, whatever --seed says. */
static inline dataset data_fields(fd_arena *a, const char *text, const args *o, shape g)
{
    spec f = spec_read(&t_fields, "--data", text);
    int k = (int)f.v[1], m = o->limit && o->limit < f.v[0] ? o->limit : (int)f.v[0];
    fd_rng r = fd_seed(2385);
    fd_space s = fd_grid(a, g.nd, g.n, NULL, o->bc, (int)f.v[4]);
    ptrdiff_t size = fd_size(&s);
    fd_real *x = fd_raw(a, fd_real, m * size);
    fd_arena scratch = *a;
    fd_real *mean = fd_raw(&scratch, fd_real, k * size);
    fd_cov *large = fd_cov_matern(&scratch, &s, 1, 0.4, 3.5);
    fd_cov *small = fd_cov_matern(&scratch, &s, f.v[3], f.v[2], 2.5);
    fd_cov_draw(large, fd_stream(r, 'm', 0), 0, k, mean, scratch);
    fd_cov_draw(small, r, 0, m, x, scratch);
    need(a->st);
    for (int i = 0; i < m; i++) {
        const fd_real *mu = mean + fd_index(fd_stream(r, 'k', 0), (uint64_t)i, k) * size;
        for (ptrdiff_t j = 0; j < size; j++) x[i * size + j] += mu[j];
    }
    return data_array("fields", &s, m, x);
}

/* data_open -- functions from a file or built in; a random subset of at most o->limit; on the grid
 * g where given; for the model k, or NULL. usual: the grid of built-in data. Nothing is done to
 * values. */
static inline dataset data_open(fd_arena *a, const char *path, const args *o, const kit *k, shape g,
                                shape usual)
{
    dataset d;
    shape in;
    int ch;
    if (!strncmp(path, "fields", 6) && (!path[6] || path[6] == ':'))
        return data_fields(a, path, o, g.nd ? g : usual);
    memset(&d, 0, sizeof d);
    d.name = path;
    d.file = source_open(a, path);
    need(a->st);
    d.axes = axes_read(&d.file, o, k, &in, &ch);
    if (k && ch != k->s.ch) die(1, "%s: %d channels where the model has %d", path, ch, k->s.ch);
    if (g.nd && g.nd != in.nd)
        die(1, "%s: a grid of %d axes where %d are wanted", path, in.nd, g.nd);
    d.total = d.m = d.file.n[0];
    d.from = fd_grid(a, in.nd, in.n, NULL, o->bc, ch);
    d.s = g.nd ? fd_grid(a, g.nd, g.n, NULL, o->bc, ch) : d.from;
    d.norm = normal_plain(d.file.bytes);
    if (o->limit && o->limit < d.m) {
        d.m = o->limit;
        int *order = fd_raw(a, int, d.m);
        fd_arena scratch = *a;
        int *all = fd_raw(&scratch, int, d.total);
        need(a->st);
        fd_perm(fd_stream(fd_seed(o->seed), 'l', 0), d.total, all);
        memcpy(order, all, (size_t)d.m * sizeof *all);
        d.order = order;
    }
    need(a->st);
    return d;
}

/* data_some -- m of the functions, those that order names. */
static inline dataset data_some(fd_arena *a, const dataset *d, int m, const int *order)
{
    dataset some = *d;
    int *p = fd_raw(a, int, m);
    need(a->st);
    for (int i = 0; i < m; i++) p[i] = d->order ? d->order[order[i]] : order[i];
    some.m = m;
    some.order = p;
    return some;
}

static inline int data_index(const dataset *d, int i) { return d->order ? d->order[i] : i; }

/* data_raw -- the values of function i in the file, [ch][its points]. */
static inline void data_raw(const dataset *d, int i, double *v, fd_arena scratch)
{
    ptrdiff_t size = fd_size(&d->from), n = d->from.points;
    int ch = d->from.ch;
    i = data_index(d, i);
    if (d->x) {
        for (ptrdiff_t j = 0; j < size; j++) v[j] = (double)d->x[i * size + j];
        return;
    }
    double *y = d->axes == AXES_LAST && ch > 1 ? fd_raw(&scratch, double, size) : v;
    if (y) source_doubles(&d->file, i, 1, y, scratch);
    for (int c = 0; y && y != v && c < ch; c++)
        for (ptrdiff_t j = 0; j < n; j++) v[c * n + j] = y[j * ch + c];
}

/* data_take -- function i as a model sees it, [ch][points]. */
static inline void data_take(const dataset *d, int i, fd_real *x, fd_arena scratch)
{
    ptrdiff_t size = fd_size(&d->s), in = fd_size(&d->from);
    if (d->x) {
        memcpy(x, d->x + data_index(d, i) * size, (size_t)size * sizeof *x);
        return;
    }
    double *v = fd_raw(&scratch, double, in);
    int same = !memcmp(d->from.n, d->s.n, sizeof d->s.n);
    fd_real *y = same ? x : fd_raw(&scratch, fd_real, in);
    if (!v || !y) return;
    data_raw(d, i, v, scratch);
    for (ptrdiff_t j = 0; j < in; j++) {
        int c = (int)(j / d->from.points);
        y[j] = (fd_real)(d->norm.scale[c] * v[j] + d->norm.shift[c]);
    }
    if (!same) fd_resample(&d->from, &d->s, 1, y, x, scratch);
    for (ptrdiff_t j = 0; d->norm.center && j < size; j++) x[j] -= d->norm.center[j];
}

/* data_gather -- b functions from the first on. */
static inline fd_real *data_gather(fd_arena *a, const dataset *d, int first, int b)
{
    ptrdiff_t size = fd_size(&d->s);
    fd_real *x = fd_raw(a, fd_real, b * size);
    need(a->st);
    for (int i = 0; i < b; i++) data_take(d, first + i, x + i * size, *a);
    need(a->st);
    return x;
}

/* data_keep -- in memory, if that takes no more than so many bytes. */
static inline void data_keep(fd_arena *a, dataset *d, double room)
{
    if (d->x || (double)d->m * (double)fd_size(&d->s) * sizeof(fd_real) > room) return;
    d->x = data_gather(a, d, 0, d->m);
    d->total = d->m;
    d->order = NULL;
}

/* What a pass finds in a channel: sums of u = (value - mid)/unit, where mid and unit are near the
 * mean and the deviation, so that nothing cancels; the ends of the values; and sums of value 2^-e
 * over those of each binary exponent e, which find what lies far from the rest. */
enum { EXPONENTS = 2200, BELOW = 1100 };
typedef struct {
    double mid, unit, sum, sq, end[2];                      /* least, largest */
    int at[2];                                              /* a function that holds it */
    struct { double n, sum, sq; } by[EXPONENTS];
} tally;

static inline void tally_add(tally *q, double v, int function)
{
    for (int i = 0; i < 2; i++) {
        if (i ? v <= q->end[1] : v >= q->end[0]) continue;
        q->end[i] = v;
        q->at[i] = function;
    }
    int e;
    double part = frexp(v, &e);
    if (v == 0) return;
    e += BELOW;
    q->by[e].n++;
    q->by[e].sum += part;
    q->by[e].sq += part * part;
}

static inline int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* tally_begin -- mid and unit of each channel, by medians over some values of some functions. */
static inline void tally_begin(const dataset *d, tally *q, double *v, fd_arena a)
{
    enum { SOME = 16, VALUES = 256 };
    int ch = d->from.ch, b = d->m < SOME ? d->m : SOME;
    ptrdiff_t n = d->from.points, step = (n + VALUES - 1) / VALUES;
    double *some = fd_raw(&a, double, ch * SOME * VALUES);
    int *count = fd_new(&a, int, ch);
    need(a.st);
    for (int i = 0; i < b; i++) {
        data_raw(d, (int)((long long)i * d->m / b), v, a);
        for (int c = 0; c < ch; c++)
            for (ptrdiff_t j = 0; j < n; j += step)
                if (fabs(v[c * n + j]) < INFINITY)
                    some[c * SOME * VALUES + count[c]++] = v[c * n + j];
    }
    for (int c = 0; c < ch; c++) {
        double *x = some + c * SOME * VALUES, sum = 0;
        int k = count[c];
        q[c].unit = 1;
        q[c].end[0] = INFINITY, q[c].end[1] = -INFINITY;
        if (!k) continue;
        qsort(x, (size_t)k, sizeof *x, by_value);
        q[c].mid = x[k / 2];
        for (int i = 0; i < k; i++) sum += (x[i] = fabs(x[i] / 2 - q[c].mid / 2)) / k;
        qsort(x, (size_t)k, sizeof *x, by_value);
        if (sum > 0) q[c].unit = 2 * fmax(x[k / 2], 1e-6 * sum);
    }
}

/* tally_judge -- where some values lie far from all others. A gap of 8 decades with values of 1e9
 * and more beyond it is an error: the deviation of such data means nothing. It is a line where less
 * than half of the values, all equal, or one in a hundred, lie beyond a gap, and 100 times as far
 * from the mean of the others as these, or where several are equal 20 times. Zeros count to neither
 * side. */
static inline void tally_judge(const dataset *d, const tally *q)
{
    double n = 0, sum = 0, sq = 0, total = 0;              /* of values below 2^last, by 2^last */
    for (int e = 0; e < EXPONENTS; e++) total += q->by[e].n;
    for (int e = 0, last = -1; e < EXPONENTS; e++) {
        double here = q->by[e].n, more = total - n;
        if (!(here > 0)) continue;
        if (last >= 0 && e - last > 2) {
            double mean = sum / n, sd = sqrt(fmax(0, sq / n - mean * mean));
            double least = 1e-7 * fabs(mean), far[2], spread = q->by[e].sq / here;
            double decades = (e - 1 - last) * log10(2);
            spread -= q->by[e].sum / here * q->by[e].sum / here;
            int equal = more == here && spread < 1e-14, i;
            for (i = 0; i < 2; i++) far[i] = fabs(ldexp(q->end[i], BELOW - last) - mean);
            i = far[1] > far[0];
            double times = far[i] / fmax(sd, least);
            int wrong = decades > 8 && fabs(q->end[i]) >= 1e9 && (n >= more || equal);
            int odd = decades <= 8 && sd > least && (equal ? n >= more : n >= 99 * more)
                   && times > (equal && more > 1 ? 20 : 100);
            if (wrong || odd) {
                char text[300];
                snprintf(text, sizeof text, "%.80s: its %s value, %g (function %d; %.0f such), is "
                         "%.2g standard deviations from the mean of the others: a fill value?",
                         d->name, i ? "largest" : "least", q->end[i], q->at[i], more, times);
                if (wrong) die(1, "%s Replace it, or leave such functions out", text);
                puts(text);
                return;
            }
        }
        double up = last < 0 ? 1 : ldexp(1, last - e);
        sum = sum * up + q->by[e].sum;
        sq = sq * up * up + q->by[e].sq;
        n += here;
        last = e;
    }
}

/* data_scales -- mean and deviation of each channel from its tally and sum[], the sums of each
 * point; with a kind the norm of it; then the tally's units are what the model sees. */
static inline void data_scales(dataset *d, tally *q, const double *sum, int kind)
{
    const ptrdiff_t n = d->from.points;
    for (int c = 0; c < d->s.ch; c++) {
        tally *t = &q[c];
        double count = (double)d->m * (double)n, u = t->sum / count, within = t->sq / count;
        double scale, shift;
        if (!d->norm.bytes) tally_judge(d, t);
        d->mid[c] = t->mid + t->unit * u;
        d->sd[c] = t->unit * sqrt(fmax(0, t->sq / count - u * u));
        for (ptrdiff_t k = c * n; k < (c + 1) * n; k++) within -= pow(sum[k] / d->m, 2) / (double)n;
        if (kind != NORMALIZE_NONE) {
            scale = kind == NORMALIZE_SCALE ? d->sd[c] : t->unit * sqrt(fmax(0, within));
            d->norm.scale[c] = scale > 0 ? 1 / scale : 1;
            d->norm.shift[c] = -d->mid[c] * d->norm.scale[c];
        }
        scale = d->norm.scale[c];
        shift = d->norm.shift[c];
        for (int i = 0; i < 2; i++)
            if (!(fabs(scale * t->end[i] + shift) <= 1e30))
                die(1, "%s: function %d holds %g: too large; --normalize scale", d->name, t->at[i],
                    t->end[i]);
        t->mid = scale * t->mid + shift;                   /* from u to what the model sees */
        t->unit *= scale;
    }
}

/* data_normalize -- of built-in data, where they are. */
static inline void data_normalize(dataset *d)
{
    const ptrdiff_t n = d->from.points, size = fd_size(&d->from);
    for (ptrdiff_t k = 0; k < d->total * size; k++) {
        ptrdiff_t j = k % size;
        double x = d->norm.scale[j / n] * (double)d->x[k] + d->norm.shift[j / n];
        d->x[k] = (fd_real)(d->norm.center ? x - (double)d->norm.center[j] : x);
    }
}

/* data_measure -- one pass: what is not finite or far from all else; mean and deviation of each
 * channel in the file; norm, as --normalize says, or as `known` has it, of the model that the data
 * go to; mean and variances of the modes of what a model then sees. Built-in data are normalised
 * where they are. */
static inline void data_measure(fd_arena *a, dataset *d, int kind, const normal *known)
{
    const fd_space *from = &d->from, *s = &d->s;
    ptrdiff_t n = from->points, size = fd_size(from), used = fd_size(s);
    int ch = s->ch, same = !memcmp(from->n, s->n, sizeof s->n), most = size > 1 << 16 ? 1 : 16;
    if (!kind) kind = d->norm.bytes ? NORMALIZE_NONE : NORMALIZE_SCALE;
    if (known) d->norm = *known;
    else d->norm.kind = kind;
    d->mean = fd_new(a, fd_real, used);
    d->var = fd_new(a, double, s->modes);
    if (!known && kind == NORMALIZE_PIXEL) d->norm.center = fd_raw(a, fd_real, used);
    fd_arena m = *a;
    tally *q = fd_new(&m, tally, ch);
    double *v = fd_raw(&m, double, size), *sum = fd_new(&m, double, size), begin = now();
    double *sq = fd_new(&m, double, ch * s->modes);
    fd_real *y = fd_raw(&m, fd_real, most * size), *z = same ? y : fd_raw(&m, fd_real, most * used);
    need(a->st);
    tally_begin(d, q, v, m);
    for (int i = 0; i < d->m; i += most) {
        int b = d->m - i < most ? d->m - i : most;
        for (int j = 0; j < b; j++) {
            int at = data_index(d, i + j);
            data_raw(d, i + j, v, m);
            need(a->st);
            for (ptrdiff_t k = 0; k < size; k++) {
                tally *t = &q[k / n];
                if (!(fabs(v[k]) < INFINITY)) die(1, "%s: function %d holds %g", d->name, at, v[k]);
                tally_add(t, v[k], at);
                double u = (v[k] - t->mid) / t->unit;
                t->sum += u;
                t->sq += u * u;
                sum[k] += u;
                y[j * size + k] = (fd_real)u;
            }
        }
        if (!same) fd_resample(from, s, b, y, z, m);
        fd_to_modes(s, b, z, z, m);
        for (ptrdiff_t k = 0; k < b * used; k++) sq[k % used] += (double)z[k] * (double)z[k];
        double spent = now() - begin, done = (double)(i + b) / d->m;
        if (spent > 2) progress("read", i + b, done, -1, (i + b) / spent, spent * (1 / done - 1));
    }
    bar_end();
    data_scales(d, q, sum, known ? NORMALIZE_NONE : kind);
    for (ptrdiff_t k = 0; k < size; k++) y[k] = (fd_real)(sum[k] / d->m);
    if (!same) fd_resample(from, s, 1, y, z, m);
    for (ptrdiff_t k = 0; k < used; k++) {
        const tally *t = &q[k / s->points];
        double x = t->unit * (double)z[k] + t->mid;
        if (!known && d->norm.center) d->norm.center[k] = (fd_real)x;
        d->mean[k] = (fd_real)(d->norm.center ? x - (double)d->norm.center[k] : x);
    }
    fd_to_modes(s, 1, z, z, m);
    need(a->st);
    for (ptrdiff_t k = 0; k < used; k++) {
        double e = sq[k] / d->m - (double)z[k] * (double)z[k];
        d->var[k % s->modes] += pow(q[k / s->modes].unit, 2) * fmax(0, e) / ch;
    }
    if (d->x) data_normalize(d);
}

/* data_say -- the line that says how the functions were read. */
static inline void data_say(const dataset *d, const char *label, const char *model)
{
    static const char *const name[] = { "x", "y, x", "z, y, x" };
    static const char *const as[] = { "", "as they are", "as (x - mean)/sd",
                                      "as (x - mean at each point)/sd" };
    char text[64];
    int ch = d->s.ch, show = ch < 4 ? ch : 4;
    printf("%s%s%d ", label, *label ? ": " : "", d->m);
    if (d->m < d->total) printf("of %d ", d->total);
    printf(d->m > 1 ? "functions " : "function ");
    if (d->axes != AXES_NONE) printf("of %d channel%s ", ch, ch > 1 ? "s" : "");
    printf("on %s (axes: function, %s%s%s), %s", grid_text(&d->from, text),
           d->axes == AXES_FIRST ? "channel, " : "", name[d->s.nd - 1],
           d->axes == AXES_LAST ? ", channel" : "", d->file.type ? d->file.type : "built in");
    if (d->file.complex) printf(" as real and imaginary part");
    for (int j = 0; j < 2; j++) {
        printf(j ? ", sd" : ", mean");
        for (int c = 0; c < show; c++) printf(" %.4g", j ? d->sd[c] : d->mid[c]);
        if (show < ch) printf(" ..");
    }
    if (memcmp(d->from.n, d->s.n, sizeof d->s.n)) printf("; taken to %s", grid_text(&d->s, text));
    if (model) printf("; used as %s has it\n", model);
    else
        printf("; used %s\n", d->norm.bytes && d->norm.kind == NORMALIZE_NONE ? "as -1 to 1"
                                                                              : as[d->norm.kind]);
    fflush(stdout);
}

/* to_file -- b functions [ch][points] back to the values of files. */
static inline void to_file(const normal *v, const fd_space *s, int b, fd_real *x)
{
    ptrdiff_t size = fd_size(s);
    for (ptrdiff_t i = 0; i < b * size; i++) {
        ptrdiff_t j = i % size;
        double y = (double)x[i] + (v->center ? (double)v->center[j] : 0);
        x[i] = (fd_real)((y - v->shift[j / s->points]) / v->scale[j / s->points]);
    }
}

/* functions_save -- b functions as .npy, with the axes that the row of t_axes says. */
static inline void functions_save(fd_arena a, const char *path, const fd_space *s, int axes, int b,
                                  const fd_real *x)
{
    int n[FD_MAXD] = { b }, nd = 1, ch = s->ch;
    ptrdiff_t size = fd_size(s), points = s->points;
    fd_real *y = axes == AXES_LAST && ch > 1 ? fd_raw(&a, fd_real, b * size) : NULL;
    need(a.st);
    if (axes == AXES_FIRST) n[nd++] = ch;
    for (int i = 0; i < s->nd; i++) n[nd++] = s->n[i];
    if (axes == AXES_LAST) n[nd++] = ch;
    for (ptrdiff_t i = 0; y && i < b * size; i++) {
        ptrdiff_t j = i % size;
        y[i - j + j % points * ch + j / points] = x[i];
    }
    fd_npy_save(a.st, path, nd, n, y ? y : x);
    need(a.st);
    wrote(path);
}

/* ---- Kits: all that sampling needs, and its file --------------------------------------------- */

/* --- Networks that are told of observations: --condition, --base --- */

static inline double condition_value(const kit *k, const char *name)
{
    const row *r = &t_condition.rows[k->condition.row];
    for (int i = 0; i < keys_of(r); i++)
        if (!strcmp(r->keys[i].name, name)) return k->condition.v[i];
    return 0;
}

static inline int condition_moves(const kit *k) { return condition_value(k, "move") > 0; }

/* condition_obs -- what is observed of function i; places are those of fd calibrate --observe with
 * the same seed, where they do not move. */
static inline fd_obs condition_obs(fd_arena *a, const kit *k, uint32_t i)
{
    const fd_space *s = &k->s;
    const spec *v = &k->condition;
    fd_rng r = fd_stream(fd_seed(k->places), 'o', condition_moves(k) ? i + 1 : 0);
    ptrdiff_t n = v->row == CONDITION_POINTS ? (ptrdiff_t)v->v[0] * s->nd : s->points;
    fd_real *u = fd_raw(a, fd_real, n);
    fd_obs o;
    need(a->st);
    fd_uniform(r, n, u);
    if (v->row == CONDITION_POINTS) {
        double *at = fd_raw(a, double, n);
        need(a->st);
        for (ptrdiff_t j = 0; j < n; j++) at[j] = (double)u[j] * s->len[j % s->nd];
        o = fd_obs_points(a, s, (int)v->v[0], at, NULL);
    } else if (v->row == CONDITION_COARSE) {
        int g[3] = { (int)v->v[0], (int)v->v[0], (int)v->v[0] };
        fd_space coarse = fd_grid(a, s->nd, g, s->len, s->bc, s->ch);
        o = fd_obs_coarse(a, s, &coarse);
    } else if (v->row == CONDITION_BLUR) {
        double *mul = fd_raw(a, double, s->modes);
        need(a->st);
        fd_laplace(s, mul, *a);
        for (ptrdiff_t j = 0; j < s->modes; j++) mul[j] = exp(-.5 * v->v[0] * v->v[0] * mul[j]);
        o = fd_obs_modal(a, s, mul);
    } else {                                           /* all channels of a pixel; one at least */
        ptrdiff_t *at = fd_raw(a, ptrdiff_t, s->ch * n);
        int m = 0;
        need(a->st);
        for (ptrdiff_t j = 0; j < n; j++) if ((double)u[j] < v->v[0]) at[m++] = j;
        if (!m) at[m++] = fd_index(fd_stream(r, 'i', 0), 0, (int)n);
        for (int j = m; j < m * s->ch; j++) at[j] = at[j - m] + n;
        o = fd_obs_pick(a, s, m * s->ch, at);
    }
    const double noise = condition_value(k, "noise"), *scale = k->norm.scale;
    /* channel by channel */
    if (s->ch > 1 && noise > 0 && !o.mul && v->row != CONDITION_POINTS) {
        double *sd = fd_raw(a, double, o.m);
        for (int j = 0; sd && j < o.m; j++) sd[j] = noise * fabs(scale[j / (o.m / s->ch)]);
        fd_obs_noise_each(a, &o, sd);
    } else fd_obs_noise(a, &o, noise * fabs(scale[0]));
    need(a->st);
    return o;
}

static inline int condition_sees(const kit *k)
{
    static const struct { const char *name; int sees; } sees[] = {
        { "values", FD_SEES_VALUES }, { "posterior", FD_SEES_POSTERIOR },
        { "denoised", FD_SEES_DENOISED }, { "both", FD_SEES_POSTERIOR + FD_SEES_DENOISED },
        { "slope", FD_SEES_POSTERIOR + FD_SEES_SLOPE } };
    const row *r = &t_condition.rows[k->condition.row];
    int last = keys_of(r) - 1, i = 0;
    char word[32];
    choice_word(&r->keys[last], (int)k->condition.v[last], word);
    while (strcmp(sees[i].name, word)) i++;
    return sees[i].sees;
}

/* condition_inputs -- channels that the network sees, for each of a function. */
static inline int condition_inputs(const kit *k)
{
    const fd_cov one = { .s = { .ch = 1 } };
    const fd_process p = { .noise = &one };
    return fd_amortised_inputs(&(fd_condition){ .p = &p, .sees = condition_sees(k) });
}

static inline shape shape_of(const fd_space *s)
{
    return (shape){ s->nd, { s->n[0], s->n[1], s->n[2] } };
}

/* condition_close -- how the network is told, and the model: without observations where it was
 * trained so, too, else none. */
static inline const kit *kit_on(fd_arena *a, const kit *k, shape g);
static inline void condition_close(fd_arena *a, kit *k)
{
    fd_net *net = k->opt ? fd_net_with(a, k->net, k->opt->avg) : k->net;
    k->how = (fd_condition){ .p = &k->learned, .base = FD_BASE_MODEL, .predicts = k->predict.row,
                             .sees = condition_sees(k), .mean = k->mean, .c0 = k->c0 };
    if (!strcmp(k->base, "gauss")) k->how.base = FD_BASE_GAUSS;
    else if (k->precond.row) k->how.base = FD_BASE_NONE;
    else if (!k->frozen) k->how.model = fd_oracle_gauss(a, &k->learned, k->mean, k->c0);
    else k->how.model = kit_on(a, k->frozen, shape_of(&k->s))->model;
    k->raw = fd_net_raw(a, net);
    k->model = (fd_model){ 0 };
    k->told = NULL;
    if (a->st->code) return;
    if (!condition_moves(k)) {
        k->o = condition_obs(a, k, 0);
        k->told = fd_amortised_new(a, &k->how, &k->o);
        spec_need(a->st, "condition");
    }
    k->alone = fd_amortised_new(a, &k->how, NULL);
    if (condition_value(k, "drop") > 0) k->model = fd_amortised_model(a, k->alone, NULL, k->raw);
}

/* condition_none -- die where a network without observations is wanted and there is none. */
static inline void condition_none(const kit *k, const char *path)
{
    if (k->between.t)
        die(2, "--model: %s goes from functions to functions: fd bridge --model %s --from FILE",
            path, path);
    if (!k->model.eval)
        die(2, "--model: %s draws functions given observations alone: fd posterior --method "
            "amortised (or train it with --condition ..,drop=0.1)", path);
}

/* --- Networks that go from functions to functions: --pairs --- */

static inline int pairs_told(const kit *k)
{
    return k->between.v[keys_of(&t_between.rows[k->between.row]) - 1] > 0;
}

/* pairs_eval -- what the network says of b functions: the end, or the velocity, told of their
 * starts. */
typedef struct { const kit *k; const fd_real *start; } pairs_from;
static inline void pairs_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                              const double *t, fd_real *y, fd_arena scratch)
{
    const pairs_from *p = self;
    const ptrdiff_t size = fd_size(s);
    const int told = pairs_told(p->k);
    fd_space wide = *s;
    wide.ch *= 1 + told;
    fd_real *in = fd_raw(&scratch, fd_real, b * fd_size(&wide));
    for (int i = 0; in && i < b; i++) {
        memcpy(in + i * (1 + told) * size, x + i * size, (size_t)size * sizeof *in);
        if (told) memcpy(in + (2 * i + 1) * size, p->start + i * size, (size_t)size * sizeof *in);
    }
    if (in) p->k->raw.eval(p->k->raw.self, &wide, b, in, t, y, scratch);
}

static inline void pairs_close(fd_arena *a, kit *k)
{
    const double *v = k->between.v;
    k->raw = fd_net_raw(a, k->opt ? fd_net_with(a, k->net, k->opt->avg) : k->net);
    k->model = (fd_model){ 0 };
    if (k->between.row) k->mid = (fd_interpolant){ .noise = k->noise, .g = v[0] };
    else k->line = fd_linear_heat(a, k->noise, v[0], v[1], 1);
}

/* kit_told -- the model of other weights, told a label, -1: none. */
static inline fd_model kit_told(fd_arena *a, const kit *k, fd_real *w, int label)
{
    fd_model m = fd_net_labelled(a, w == k->net->w ? k->net : fd_net_with(a, k->net, w),
                                 k->precond.row ? k->predict.row : FD_X0, label);
    return k->pre ? fd_precond_model(a, k->pre, m) : m;
}

static inline fd_model kit_model(fd_arena *a, const kit *k, fd_real *w)
{
    return kit_told(a, k, w, -1);
}

/* kit_guided -- the model of a label, D + w (D - D of none) [CFG]. */
static inline fd_model kit_guided(fd_arena *a, const kit *k, int label, double w)
{
    fd_real *avg = k->opt ? k->opt->avg : k->net->w;
    fd_model c = kit_told(a, k, avg, label);
    return w == 0 ? c : fd_free_guided(a, &k->p, c, kit_told(a, k, avg, -1), 1 + w);
}

/* kit_close -- process and model of a kit that has all the rest; first: the grid of training. */
static inline void kit_close(fd_arena *a, kit *k, const fd_space *first)
{
    fd_cov *was = k->cov.row < COV_PIXEL ? k->noise
                                         : cov_again(a, &k->s, &k->cov, k->noise, first->points);
    k->p = process_build(a, k->noise, &k->process, 0);
    k->learned = process_build(a, was, &k->process, first->n[0]);
    if (k->between.t) { pairs_close(a, k); return; }
    if (!k->precond.row) k->pre = fd_precond_new(a, &k->learned, k->mean, k->c0);
    if (k->condition.t) { condition_close(a, k); return; }
    k->model = kit_model(a, k, k->opt ? k->opt->avg : k->net->w);
    if (k->from)
        k->model = fd_policy_model(a, &k->learned, kit_model(a, k, k->from), k->model, .5);
}

enum { LAW_LEAST = FD_T_LEVELS + 1 };

/* pairs_split -- --pairs A:B: A is returned, B becomes --data. A name may be file:member, and then
 * both are. */
static inline char *pairs_split(fd_arena *a, args *o)
{
    static const char *const no[] = { "data", "condition", "predict", "precond", "process",
                                      "weight", "norm", "time-law", "by-mode", "png", "flip",
                                      "base" };
    if (!o->pairs) {
        if (is_given("between") || is_given("couple"))
            die(2, "--%s: has no meaning without --pairs",
                is_given("couple") ? "couple" : "between");
        return NULL;
    }
    for (int i = 0; i < COUNT(no); i++)
        if (is_given(no[i])) die(2, "--%s: not with --pairs", no[i]);
    const char *at[4];
    int colons = 0;
    for (const char *p = o->pairs; (p = strchr(p, ':')) != NULL; p++)
        if (colons++ < 4) at[colons - 1] = p;
    if (colons != 1 && colons != 3)
        die(2, "--pairs: '%s': wants two files, A:B, or two members, A:name:B:name", o->pairs);
    const char *split = at[colons / 2];
    char *start = fd_new(a, char, split - o->pairs + 1);
    need(a->st);
    memcpy(start, o->pairs, (size_t)(split - o->pairs));
    if (!*start || !split[1]) die(2, "--pairs: '%s': wants two files, A:B", o->pairs);
    o->data = split + 1;
    if (!is_given("cov")) o->cov = spec_read(&t_cov, "", "matern:nu=1,l=0.1,var=0.3");
    return start;
}

/* settings_check -- of training, once the process is known. */
static inline void settings_check(const kit *k, const args *o)
{
    if (ranks > 1 && k->net->count > INT_MAX)
        die(2, "--net: more than %d weights are for one process", INT_MAX);
    if (o->accumulate % ranks)
        die(2, "--accumulate: %d processes do not divide %d parts: --accumulate %d", ranks,
            o->accumulate, ranks);
    if (o->batch % o->accumulate && ranks > 1 && !is_given("accumulate"))
        die(2, "--batch: %d processes do not divide the batch of %d", ranks, o->batch);
    if (o->batch % o->accumulate)
        die(2, "--accumulate: %d does not divide the batch of %d", o->accumulate, o->batch);
    if (o->law.row == FD_T_LOG && !(k->p.tmin > 0) && k->process.row != PROCESS_DDPM)
        die(2, "--time-law: log needs times above 0: --process %s:tmin=...",
            k->process.t->rows[k->process.row].name);
    if (is_given("weight") && !k->precond.row)
        die(2, "--weight: has no meaning with --precond gauss");
    int chain = k->process.row == PROCESS_DDPM || k->process.row == PROCESS_LADDER;
    /* it fixes the weight of each time, too */
    int whole = o->norm.row >= FD_NORM_LIKELIHOOD;
    if ((o->law.row == FD_T_LEVELS || o->norm.row == FD_NORM_STEP) && !chain)
        die(2, "--%s: %s is for --process ddpm and ladder",
            o->law.row == FD_T_LEVELS ? "time-law" : "norm",
            o->law.row == FD_T_LEVELS ? "levels" : "step");
    if (whole && o->weight.row)
        die(2, "--weight: --norm %s has its own", t_norm.rows[o->norm.row].name);
    if (o->weight.row && k->predict.row > FD_VELOCITY)
        die(2, "--weight: not with --predict %s: --norm", t_predict.rows[k->predict.row].name);
    if (k->condition.t && (whole || o->law.row == LAW_LEAST))
        die(2, "--%s: not with --condition", whole ? "norm" : "time-law");
    if (o->law.row == LAW_LEAST && (o->weight.row || (!k->precond.row && !whole)))
        die(2, "--time-law: least goes by --norm alone, with --precond none or --norm likelihood, "
            "step");
}

/* kit_new -- frozen: the model that --base names, whose noise and process are taken, or NULL. */
static inline kit *kit_new(fd_arena *a, const args *o, const dataset *d, const kit *frozen)
{
    kit *k = fd_new(a, kit, 1);
    if (!k) return NULL;
    k->cov = frozen ? frozen->cov : o->cov;
    k->process = frozen ? frozen->process : o->process;
    k->predict = o->predict;
    k->precond = o->precond;
    if (is_given("predict") && !is_given("precond")) k->precond = spec_read(&t_precond, "", "none");
    if (is_given("predict") && !k->precond.row)
        die(2, "--predict: has no meaning with --precond gauss");
    k->axes = d->axes;
    k->norm = d->norm;
    k->s = d->s;
    k->condition = o->condition;
    k->base = o->base;
    k->places = o->seed;
    k->frozen = frozen;
    if (o->pairs) {
        k->between = o->between, k->couple = o->couple;
        k->precond = spec_read(&t_precond, "", "none");
    }
    k->noise = frozen ? frozen->noise : cov_build(a, &k->s, &o->cov, d, 0);
    spec_need(a->st, "cov");
    k->mean = fd_raw(a, fd_real, fd_size(&k->s));
    k->c0 = fd_cov_spectrum(a, &k->s, d->var, k->precond.v[0]);
    need(a->st);
    fd_cov_pow(k->noise, 0, 1, d->mean, k->mean, *a);        /* as batch_draw does with the data */
    for (ptrdiff_t i = 0; i < k->s.modes; i++) {                 /* as they will be in the file */
        k->c0->lam[i] = k->noise->lam[i] > 0 ? (double)(fd_real)k->c0->lam[i] : 0;
        if (k->cov.row == COV_EMPIRICAL) k->noise->lam[i] = (double)(fd_real)k->noise->lam[i];
    }
    fd_arch arch = arch_build(&o->net, &k->s);
    if (d->label) arch.labels = d->labels;
    k->drop = o->drop;
    if (k->condition.t) arch.in *= condition_inputs(k);
    if (k->between.t) arch.in *= 1 + pairs_told(k);
    const double *rule = o->optimizer.v;
    fd_adam how = { .lr = o->lr, .lr_end = o->lr_end, .decay = o->decay, .clip = o->clip,
                    .clip_each = o->clip_each, .rule = o->optimizer.row, .beta1 = rule[0],
                    .beta2 = rule[1], .eps = rule[2], .ema = o->ema,
                    .warmup = o->warmup, .steps = o->steps };
    k->net = net_build(a, &arch, fd_stream(fd_seed(o->seed), 'w', 0));
    k->opt = fd_opt_new(a, k->net, &how);
    kit_close(a, k, &k->s);
    need(a->st);
    settings_check(k, o);
    if (!(fd_cov_trace(k->noise) > 0)) die(2, "--cov: this noise has no variance on this grid");
    if (!k->precond.row && !(fd_cov_trace(k->c0) > 0))
        die(1, "%s: the functions are all the same on the modes that carry noise", o->data);
    return k;
}

/* kit_tensors -- what a file holds beside the network; how many. */
enum { KIT_TENSORS = 6 };
static inline int kit_tensors(fd_arena *a, const kit *k, fd_tensor t[KIT_TENSORS])
{
    const fd_cov *c[2] = { k->c0, k->cov.row == COV_EMPIRICAL ? k->noise : NULL };
    int tensors = 1;
    t[0] = (fd_tensor){ "data.mean", 1, { (int)fd_size(&k->s) }, k->mean, NULL };
    if (k->norm.center) {
        t[tensors] = t[0];
        t[tensors].name = "data.center";
        t[tensors++].x = k->norm.center;
    }
    if (k->between.t && k->norm0.center) {
        t[tensors] = t[0];
        t[tensors].name = "start.center";
        t[tensors++].x = k->norm0.center;
    }
    if (k->from)
        t[tensors++] = (fd_tensor){ "tuned.from", 1, { (int)k->net->count }, k->from, NULL };
    for (int i = 0; i < 2 && c[i]; i++, tensors++) {
        fd_tensor *v = &t[tensors];
        v->name = i ? "noise.spectrum" : "data.spectrum";
        v->nd = 1;
        v->n[0] = (int)k->s.modes;
        v->x = fd_raw(a, fd_real, k->s.modes);
        for (ptrdiff_t j = 0; v->x && j < k->s.modes; j++) v->x[j] = (fd_real)c[i]->lam[j];
    }
    return tensors;
}

/* kit_save -- the network with its optimiser; how it was trained, as metadata. */
static inline void kit_save(fd_status *st, const char *path, const kit *k, const args *o,
                            fd_arena scratch)
{
    char text[13][512], nums[10][64], list[4][26 * CHANNELS];
    fd_tensor t[KIT_TENSORS];
    int tensors = kit_tensors(&scratch, k, t);
    grid_text(&k->s, text[7]);
    for (int i = 0; i < 4; i++) {
        const normal *v = i < 2 ? &k->norm : &k->norm0;
        for (int j = 0, at = 0; j < k->s.ch; j++)
            at += sprintf(list[i] + at, "%s%.17g", j ? "," : "", i % 2 ? v->shift[j] : v->scale[j]);
    }
    text[6][0] = 0;
    for (int i = 0; i < k->s.nd; i++)
        strcat(strcat(text[6], i ? "," : ""), t_boundary.rows[k->s.bc[i]].name);
    sprintf(nums[0], "%d", k->axes > AXES_NONE ? k->s.ch : 0);
    sprintf(nums[1], "%d", k->norm.bytes);
    sprintf(nums[3], "%" PRIu64, o->seed);
    sprintf(nums[4], "%d", o->batch);
    sprintf(nums[5], "%d", o->limit);
    sprintf(nums[6], "%d", o->accumulate);
    sprintf(nums[8], "%" PRIu64, k->places);
    sprintf(nums[9], "%d", k->norm0.bytes);
    fd_meta meta[] = {
        { "kit.grid", text[7] }, { "kit.boundary", text[6] }, { "kit.channels", nums[0] },
        { "kit.axes", t_axes.rows[k->axes].name }, { "kit.bytes", nums[1] },
        { "kit.normalize", t_normalize.rows[k->norm.kind].name },
        { "kit.scale", list[0] }, { "kit.shift", list[1] },
        { "kit.cov", spec_text(&k->cov, text[0]) },
        { "kit.process", spec_text(&k->process, text[1]) },
        { "kit.predict", spec_text(&k->predict, text[2]) },
        { "kit.precond", spec_text(&k->precond, text[3]) },
        { "kit.weight", spec_text(&o->weight, text[4]) },
        { "kit.time-law", spec_text(&o->law, text[5]) },
        { "kit.seed", nums[3] }, { "kit.batch", nums[4] }, { "kit.limit", nums[5] },
        { "kit.accumulate", nums[6] }, { "kit.norm", spec_text(&o->norm, text[8]) },
        { "kit.flip", spec_text(&o->flip, text[9]) }, { "kit.data", o->data ? o->data : "" },
        { "kit.build", fd_build() },
        { "kit.condition", k->condition.t ? spec_text(&k->condition, text[10]) : "" },
        { "kit.base", k->base }, { "kit.places", nums[8] },
        { "start.axes", t_axes.rows[k->axes0].name }, { "start.bytes", nums[9] },
        { "start.scale", list[2] }, { "start.shift", list[3] },
        { "kit.between", k->between.t ? spec_text(&k->between, text[11]) : "" },
        { "kit.couple", k->between.t ? spec_text(&k->couple, text[12]) : "" } };
    int metas = COUNT(meta) - (k->between.t ? 0 : k->condition.t ? 6 : 9);
    if (k->between.t)                                    /* without kit.condition, base, places */
        memmove(meta + metas - 9, meta + metas - 6, 6 * sizeof *meta), metas -= 3;
    if (k->net->arch.labels) {                 /* there is room: no --condition, no --pairs */
        sprintf(nums[2], "%.17g", k->drop);
        meta[metas++] = (fd_meta){ "kit.labels", o->labels ? o->labels : "" };
        meta[metas++] = (fd_meta){ "kit.drop", nums[2] };
    }
    fd_tensors more = { tensors, metas, t, meta, 0, NULL };
    fd_net_save(st, path, k->net, k->opt, &more, scratch);
}

static inline const char *meta_need(const fd_tensors *f, const char *path, const char *name)
{
    const char *s = fd_meta_find(f, name);
    if (!s) die(1, "%s: no model of fd train: it has no %s", path, name);
    return s;
}

static inline double meta_number(const fd_tensors *f, const char *path, const char *name, double lo,
                                 double hi)
{
    double v;
    if (!number(meta_need(f, path, name), lo, hi, &v))
        die(1, "%s: %s: '%s': expected a number from %g to %g", path, name, fd_meta_find(f, name),
            lo, hi);
    return v;
}

/* meta_list -- n numbers between commas; one alone is all of them. */
static inline void meta_list(const fd_tensors *f, const char *path, const char *name, double lo,
                             double hi, int n, double *v)
{
    const char *p = meta_need(f, path, name);
    int k = 0;
    for (char one[64]; k < n; k++) {
        size_t len = strcspn(p, ",");
        snprintf(one, sizeof one, "%.*s", len < sizeof one ? (int)len : 0, p);
        if (!number(one, lo, hi, &v[k])) break;
        p += len;
        if (!*p++) { k++; break; }
    }
    if ((k != n && k != 1) || p[-1])
        die(1, "%s: %s: expected a number for each of %d channels, from %g to %g", path, name, n,
            lo, hi);
    for (int i = k; i < n; i++) v[i] = v[0];
}

/* meta_row -- the row of a topic that is named there; models of before have not all: other. */
static inline int meta_row(const fd_tensors *f, const char *path, const char *name, const topic *t,
                           int other)
{
    char flag[256];
    const char *s = fd_meta_find(f, name);
    snprintf(flag, sizeof flag, "%.200s: %s", path, name);
    return s ? spec_read(t, flag, s).row : other;
}

/* tensor_need -- the numbers of a tensor that has n of them. */
static inline fd_real *tensor_need(const fd_tensors *f, const char *path, const char *name,
                                   ptrdiff_t n)
{
    const fd_tensor *t = fd_tensor_find(f, name);
    if (!t || t->nd != 1 || t->n[0] != n)
        die(1, "%s: %s is missing or has not %ld numbers", path, name, (long)n);
    for (ptrdiff_t i = 0; i < n; i++)
        if (!(fabs((double)t->x[i]) <= 1e30)) die(1, "%s: %s holds NaN or infinity", path, name);
    return t->x;
}

static inline kit *kit_load(fd_arena *a, const char *path, args *o);

/* base_load -- the model that --base names, for k's grid. */
static inline const kit *base_load(fd_arena *a, const char *base, const fd_space *s,
                                   const char *where)
{
    static int inside;
    if (inside++) die(1, "%s: a base of a base: it is trained with --condition itself", where);
    const kit *k = kit_load(a, base, NULL);
    if (k->condition.t) die(bad, "%s: %s is trained with --condition itself", where, base);
    if (k->between.t) die(bad, "%s: %s goes from functions to functions: no denoiser", where, base);
    int other = s && (k->s.nd != s->nd || k->s.ch != s->ch);
    for (int i = 0; s && i < s->nd && !other; i++) other = k->s.bc[i] != s->bc[i];
    if (other) die(bad, "%s: %s is for other axes, channels or boundaries", where, base);
    inside = 0;
    return k;
}

static inline void condition_load(fd_arena *a, kit *k, const char *path, const fd_tensors *f)
{
    char flag[256];
    const char *s = fd_meta_find(f, "kit.condition");
    if (!s) return;
    bad = 1;
    snprintf(flag, sizeof flag, "%.200s: kit.condition", path);
    k->condition = spec_read(&t_condition, flag, s);
    snprintf(flag, sizeof flag, "%.200s: kit.places", path);
    k->places = seed_read(flag, meta_need(f, path, "kit.places"));
    snprintf(flag, sizeof flag, "%.200s: kit.base", path);
    k->base = meta_need(f, path, "kit.base");
    if (strcmp(k->base, "none") && strcmp(k->base, "gauss"))
        k->frozen = base_load(a, k->base, &k->s, flag);
    if (k->precond.row && strcmp(k->base, "none"))
        die(1, "%s: it goes with kit.precond gauss alone", flag);
    bad = 2;
}

static inline void pairs_load(kit *k, const char *path, const fd_tensors *f)
{
    char flag[256];
    const char *s = fd_meta_find(f, "kit.between");
    if (!s) return;
    bad = 1;
    snprintf(flag, sizeof flag, "%.200s: kit.between", path);
    k->between = spec_read(&t_between, flag, s);
    snprintf(flag, sizeof flag, "%.200s: kit.couple", path);
    k->couple = spec_read(&t_couple, flag, meta_need(f, path, "kit.couple"));
    if (k->condition.t || !k->precond.row)
        die(1, "%s: it does not go with kit.condition and kit.precond gauss", flag);
    k->axes0 = meta_row(f, path, "start.axes", &t_axes, k->axes);
    k->norm0.kind = k->norm.kind;
    k->norm0.bytes = (int)meta_number(f, path, "start.bytes", 0, 1);
    bad = 2;
    if (!k->axes0 || (k->axes0 > AXES_NONE) != (k->axes > AXES_NONE))
        die(1, "%s: start.axes cannot be", path);
    meta_list(f, path, "start.scale", 1e-300, 1e300, k->s.ch, k->norm0.scale);
    meta_list(f, path, "start.shift", -1e300, 1e300, k->s.ch, k->norm0.shift);
    if (k->norm.kind == NORMALIZE_PIXEL)
        k->norm0.center = tensor_need(f, path, "start.center", fd_size(&k->s));
}

/* kit_specs -- what a file says as flags would: of the model to k, of its training to o. */
static inline void kit_specs(const fd_tensors *f, const char *path, kit *k, args *o)
{
    static const struct { const char *name; const topic *t; size_t kit, args; } specs[] = {
        { "cov", &t_cov, offsetof(kit, cov), 0 },
        { "process", &t_process, offsetof(kit, process), 0 },
        { "predict", &t_predict, offsetof(kit, predict), 0 },
        { "precond", &t_precond, offsetof(kit, precond), 0 },
        { "weight", &t_weight, 0, AT(weight) },
        { "norm", &t_norm, 0, AT(norm) },
        { "flip", &t_flip, 0, AT(flip) },
        { "time-law", &t_law, 0, AT(law) } };
    char flag[256];
    for (int i = 0; i < COUNT(specs); i++) {
        snprintf(flag, sizeof flag, "kit.%s", specs[i].name);
        const char *s = meta_need(f, path, flag);
        snprintf(flag, sizeof flag, "%.200s: kit.%s", path, specs[i].name);
        spec v = spec_read(specs[i].t, flag, s);
        if (!specs[i].args) *(spec *)(void *)((char *)k + specs[i].kit) = v;
        else if (o && !is_given(specs[i].name)) *(spec *)(void *)((char *)o + specs[i].args) = v;
    }
}

/* kit_load -- o NULL, or where to put the settings of its training that no flag has given. */
static inline kit *kit_load(fd_arena *a, const char *path, args *o)
{
    kit *k = fd_new(a, kit, 1);
    if (!k) return NULL;
    fd_tensors f = fd_net_load(a, path, &k->net, &k->opt);
    need(a->st);
    char flag[256];
    int bc[3];
    bad = 1;
    kit_specs(&f, path, k, o);
    snprintf(flag, sizeof flag, "%.200s: kit.grid", path);
    shape g = grid_read(flag, meta_need(&f, path, "kit.grid"));
    snprintf(flag, sizeof flag, "%.200s: kit.boundary", path);
    boundary_read(flag, meta_need(&f, path, "kit.boundary"), bc);
    snprintf(flag, sizeof flag, "%.200s: kit.seed", path);
    if (o && !is_given("seed")) o->seed = seed_read(flag, meta_need(&f, path, "kit.seed"));
    int ch = (int)meta_number(&f, path, "kit.channels", 0, CHANNELS);
    k->axes = meta_row(&f, path, "kit.axes", &t_axes, ch ? AXES_FIRST : AXES_NONE);
    k->norm.kind = meta_row(&f, path, "kit.normalize", &t_normalize, NORMALIZE_NONE);
    bad = 2;
    if (!k->axes || (k->axes > AXES_NONE) != (ch > 0) || !k->norm.kind)
        die(1, "%s: kit.channels, kit.axes or kit.normalize cannot be", path);
    if (!ch) ch = 1;
    meta_list(&f, path, "kit.scale", 1e-300, 1e300, ch, k->norm.scale);
    meta_list(&f, path, "kit.shift", -1e300, 1e300, ch, k->norm.shift);
    k->norm.bytes = fd_meta_find(&f, "kit.bytes") ? (int)meta_number(&f, path, "kit.bytes", 0, 1)
                                                  : k->norm.scale[0] != 1;
    if (o && !is_given("limit")) o->limit = (int)meta_number(&f, path, "kit.limit", 0, INT_MAX);
    if (o && !is_given("batch")) o->batch = (int)meta_number(&f, path, "kit.batch", 1, 1e6);
    if (o && !is_given("accumulate"))
        o->accumulate = (int)meta_number(&f, path, "kit.accumulate", 1, 1e6);
    if (k->net->arch.labels) {
        k->drop = o && is_given("drop") ? o->drop : meta_number(&f, path, "kit.drop", 0, 1);
        if (o && !is_given("labels")) o->labels = meta_need(&f, path, "kit.labels");
    }
    k->s = fd_grid(a, g.nd, g.n, NULL, bc, ch);
    need(a->st);
    condition_load(a, k, path, &f);
    pairs_load(k, path, &f);
    int in = k->s.ch * (k->condition.t ? condition_inputs(k) : k->between.t ? 1 + pairs_told(k)
                        : 1);
    if (k->net->arch.nd != g.nd || k->net->arch.in != in || k->net->arch.out != k->s.ch)
        die(1, "%s: the network does not fit kit.grid and kit.channels", path);
    k->mean = tensor_need(&f, path, "data.mean", fd_size(&k->s));
    if (k->norm.kind == NORMALIZE_PIXEL)
        k->norm.center = tensor_need(&f, path, "data.center", fd_size(&k->s));
    if (fd_tensor_find(&f, "tuned.from"))
        k->from = tensor_need(&f, path, "tuned.from", k->net->count);
    k->c0 = cov_table(a, &k->s, tensor_need(&f, path, "data.spectrum", k->s.modes));
    k->noise = k->cov.row == COV_EMPIRICAL
        ? cov_table(a, &k->s, tensor_need(&f, path, "noise.spectrum", k->s.modes))
        : cov_build(a, &k->s, &k->cov, NULL, 0);
    kit_close(a, k, &k->s);
    need(a->st);
    return k;
}

/* kit_on -- the same model on another grid. */
static inline const kit *kit_on(fd_arena *a, const kit *k, shape g)
{
    if (!g.nd || (g.nd == k->s.nd && !memcmp(g.n, k->s.n, sizeof g.n))) return k;
    if (g.nd != k->s.nd) die(2, "--grid: %d axes, but the model has %d", g.nd, k->s.nd);
    kit *r = fd_new(a, kit, 1);
    need(a->st);
    *r = *k;
    r->s = fd_grid(a, g.nd, g.n, NULL, k->s.bc, k->s.ch);
    r->noise = cov_again(a, &r->s, &k->cov, k->noise, 0);
    r->c0 = fd_cov_on(a, k->c0, &r->s);
    r->mean = fd_raw(a, fd_real, fd_size(&r->s));
    if (r->mean) fd_resample(&k->s, &r->s, 1, k->mean, r->mean, *a);
    if (k->norm.center) r->norm.center = fd_raw(a, fd_real, fd_size(&r->s));
    if (k->norm.center) fd_resample(&k->s, &r->s, 1, k->norm.center, r->norm.center, *a);
    if (k->norm0.center) r->norm0.center = fd_raw(a, fd_real, fd_size(&r->s));
    if (k->norm0.center) fd_resample(&k->s, &r->s, 1, k->norm0.center, r->norm0.center, *a);
    kit_close(a, r, &k->s);
    need(a->st);
    return r;
}

/* ---- Training -------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;      /* the signal that asked to stop */
static inline void on_signal(int sig) { stopped = sig; signal(sig, SIG_DFL); }

/* The course of the loss: at most CURVE rows, each the mean over `every` steps. */
enum { CURVE = 1024, CURVE_COLS = 5 };
static const char *const curve_name[CURVE_COLS] = { "step", "loss", "gradient", "rate", "seconds" };
typedef struct { int rows, every, part; double x[CURVE][CURVE_COLS]; } curve;

static inline void curve_add(curve *c, const double v[CURVE_COLS])
{
    if (c->rows == CURVE && !c->part) {                /* full: join neighbours */
        for (int i = 0; i < CURVE / 2; i++)
            for (int j = 0; j < CURVE_COLS; j++)
                c->x[i][j] = (c->x[2 * i][j] + c->x[2 * i + 1][j]) / 2;
        c->rows = CURVE / 2;
        c->every *= 2;
    }
    if (!c->every) c->every = 1;
    if (!c->part) memset(c->x[c->rows++], 0, sizeof c->x[0]);
    for (int j = 0; j < CURVE_COLS; j++) {
        double *x = &c->x[c->rows - 1][j];
        *x = (*x * c->part + v[j]) / (c->part + 1);
    }
    c->part = (c->part + 1) % c->every;
}

/* One of --accumulate parts of a batch: what the network sees and should say, in, y
 * [b][ch][points]; times and weights [b]. */
typedef struct {
    fd_real *x0, *xt, *eps, *in, *y;
    double *t, *w;
    int *perm, *which, epoch;                          /* which functions */
    int *label;                                        /* what is told of them, or NULL */
    const fd_time_law *law;                            /* --time-law least, or NULL */
    fd_real *grad, *room;                              /* of one of several parts; for ranks_add */
} batch;

/* mirror -- function x of one channel or more along an axis. */
static inline void mirror(const fd_space *s, int axis, fd_real *x)
{
    ptrdiff_t in = 1, n = s->n[axis];
    for (int i = axis + 1; i < s->nd; i++) in *= s->n[i];
    for (ptrdiff_t at = 0; at < fd_size(s); at += n * in)
        for (ptrdiff_t i = 0; i < n / 2; i++)
            for (ptrdiff_t j = 0; j < in; j++) {
                fd_real *p = x + at + i * in + j, *q = x + at + (n - 1 - i) * in + j, v = *p;
                *p = *q;
                *q = v;
            }
}

/* condition_pairs -- in and y of the batch, of functions that are observed; one at a time where
 * each is observed in its own way. floor [b][2], where not NULL: |says - y|^2 of the best denoiser
 * for Gaussian data, its mean and what it is for this pair. */
static inline void condition_pairs(batch *q, const kit *k, const args *o, int step, int part,
                                   double *floor, fd_arena a)
{
    const ptrdiff_t size = fd_size(&k->s), seen = k->net->arch.in * k->s.points;
    const double drop = condition_value(k, "drop");
    const fd_rng seed = fd_seed(o->seed);
    const int b = o->batch / o->accumulate, from = part * b;
    const int some = k->told && !(drop > 0) && !floor ? b : 1;
    for (int i = 0; i < b && !a.st->code; i += some) {
        fd_arena own = a;
        const uint32_t at = (uint32_t)step * (uint32_t)o->batch + (uint32_t)(from + i);
        const fd_real *x0 = q->x0 + i * size, *xt = q->xt + i * size;
        fd_real u = 1;
        fd_obs eye = k->o;
        const fd_amortised *w = k->told;
        if (drop > 0) fd_uniform(fd_stream(seed, 'd', at), 1, &u);
        if ((double)u < drop) w = k->alone;
        else if (!w) {
            eye = condition_obs(&own, k, at);
            w = fd_amortised_new(&own, &k->how, &eye);
        }
        double *y = fd_raw(&own, double, (ptrdiff_t)some * eye.m);
        if (w != k->alone)
            fd_obs_draw(&eye, fd_stream(seed, 'y', (uint32_t)step), from + i, some, x0, y, own);
        fd_amortised_pair(w, some, y, x0, q->eps + i * size, xt, q->t + i, q->in + i * seen,
                          q->y + i * size, NULL, own);
        if (!floor) continue;
        fd_condition least = k->how;                       /* F = 0 on the Gaussian base */
        double cin, scale, best = 0, as_x0 = 1;
        least.base = FD_BASE_GAUSS, least.sees = 0;
        fd_amortised *g = fd_amortised_new(&own, &least, w == k->alone ? NULL : &eye);
        fd_real *none = fd_raw(&own, fd_real, 2 * size), *off = none + size;
        need(own.st);
        fd_amortised_scale(w, q->t[i], &cin, &scale, own);
        fd_amortised_pair(g, 1, y, x0, NULL, xt, q->t + i, none, off, &best, own);
        if (k->how.base == FD_BASE_NONE)
            as_x0 = fd_time_weight(&k->p, FD_W_X0, k->predict.row, q->t[i], a.st);
        floor[2 * i] = best * best / (scale * scale * as_x0) * k->s.ch;
        floor[2 * i + 1] = best * best / (scale * scale * as_x0) * fd_inner(&k->s, off, off);
    }
}

/* pairs_draw -- in and y of a batch of ends x0: starts, as --couple says, and a state between at
 * the times t. near: those starts of the part in the order that is nearest to the ends. */
static inline void pairs_draw(batch *q, const kit *k, const args *o, int step, int part, fd_arena a)
{
    const fd_rng seed = fd_seed(o->seed);
    const int b = o->batch / o->accumulate, from = part * b;
    const ptrdiff_t size = fd_size(&k->s), seen = k->net->arch.in * k->s.points;
    const int told = pairs_told(k), near = k->couple.row == 2;
    const dataset *d = k->starts;
    fd_real *start = q->eps, *x = fd_raw(&a, fd_real, b * size);
    double *cost = near ? fd_raw(&a, double, (ptrdiff_t)b * b) : NULL;
    int *to = near ? fd_raw(&a, int, b) : NULL;
    need(a.st);
    for (int i = 0; i < b; i++) {
        const uint64_t at = (uint64_t)step * (uint64_t)o->batch + (uint64_t)(from + i);
        int j = k->couple.row == 1 ? q->which[i]
            : (int)fd_index(fd_stream(seed, 'j', 0), at, (uint64_t)d->m);
        data_take(d, j, start + i * size, a);
    }
    fd_cov_pow(k->noise, 0, b, start, start, a);
    for (int i = 0; near && i < b; i++)                     /* row: the end, column: the start */
        for (int j = 0; j < b; j++) {
            double sum = 0;
            for (ptrdiff_t l = 0; l < size; l++)
                sum += pow((double)q->x0[i * size + l] - (double)start[j * size + l], 2);
            cost[(ptrdiff_t)i * b + j] = sum;
        }
    if (near) {
        fd_assignment(b, cost, to, a);
        memcpy(x, start, (size_t)(b * size) * sizeof *x);
        for (int i = 0; i < b; i++)
            memcpy(start + i * size, x + to[i] * size, (size_t)size * sizeof *x);
    }
    if (k->between.row) {
        fd_real *z = fd_raw(&a, fd_real, b * size);
        fd_interpolant_draw(&k->mid, fd_stream(seed, 'e', (uint32_t)step), from, b, start, q->x0,
                            q->t, q->xt, z, a);
        fd_interpolant_target(&k->mid, FD_VELOCITY, b, start, q->x0, z, q->t, q->y, a);
    } else {
        fd_real *xi = fd_raw(&a, fd_real, b * size);
        fd_cov_draw(k->noise, fd_stream(seed, 'e', (uint32_t)step), from, b, xi, a);
        fd_bridge_draw(&k->line, b, q->t, start, q->x0, xi, q->xt, a);
        memcpy(q->y, q->x0, (size_t)(b * size) * sizeof *x);
    }
    for (int i = 0; i < b; i++) {
        memcpy(q->in + i * seen, q->xt + i * size, (size_t)size * sizeof *x);
        if (told) memcpy(q->in + i * seen + size, start + i * size, (size_t)size * sizeof *x);
    }
}

/* batch_draw -- a part of the batch of a step. Every function has its own random numbers, by its
 * place in the batch: they do not depend on how many parts there are. */
static inline void batch_draw(batch *q, const kit *k, const dataset *d, const args *o, int step,
                              int part, fd_arena a)
{
    const int b = o->batch / o->accumulate, from = part * b;
    fd_rng seed = fd_seed(o->seed);
    ptrdiff_t size = fd_size(&k->s);
    for (int i = 0; i < b; i++) {
        long long at = (long long)step * o->batch + from + i;
        int epoch = (int)(at / d->m);                  /* each epoch is its own permutation */
        if (epoch != q->epoch) fd_perm(fd_stream(seed, 'p', (uint32_t)epoch), d->m, q->perm);
        q->epoch = epoch;
        q->which[i] = q->perm[at % d->m];
        data_take(d, q->which[i], q->x0 + i * size, a);
        for (int j = o->flip.row == 1 ? k->s.nd - 1 : 0; o->flip.row && j < k->s.nd; j++)
            if (fd_index(fd_stream(seed, 'm', (uint32_t)j), (uint64_t)at, 2))
                mirror(&k->s, j, q->x0 + i * size);
    }
    /* Modes without noise (Nyquist's on even grids) would stand in X_t for the network to read, and
     * not in a sample's: C^0 takes them out of the data. */
    fd_cov_pow(k->noise, 0, b, q->x0, q->x0, a);
    fd_rng rt = fd_stream(seed, 't', (uint32_t)step);
    for (int i = 0; i < b; i++) q->w[i] = 1;
    if (k->between.t) {                              /* one in each of as many parts of 0 to 1 */
        fd_real u[1];
        for (int i = 0; i < b; i++) {
            fd_uniform(fd_stream(rt, 'u', (uint32_t)(from + i)), 1, u);
            q->t[i] = fmin(1 - 1e-3, fmax(1e-6, (from + i + (double)u[0]) / o->batch));
        }
        pairs_draw(q, k, o, step, part, a);
        return;
    }
    if (q->law) fd_time_draw(q->law, rt, from, b, q->t, q->w);
    else fd_draw_times(&k->p, o->law.row, o->law.v, rt, from, b, q->t, a.st);
    fd_perturb(&k->p, fd_stream(seed, 'e', (uint32_t)step), from, b, q->x0, q->t, q->xt, q->eps, a);
    for (int i = 0; q->label && i < b; i++) {
        fd_real u;
        fd_uniform(fd_stream(fd_stream(seed, 'l', (uint32_t)step), 'l', (uint32_t)(from + i)), 1,
                   &u);
        q->label[i] = (double)u < k->drop ? -1 : d->label[q->which[i]];
    }
    if (k->condition.t) condition_pairs(q, k, o, step, part, NULL, a);
    else if (k->pre) {
        fd_precond_pair(k->pre, b, q->x0, q->xt, q->t, q->in, q->y, a);
    } else {
        fd_target(&k->p, k->predict.row, b, q->x0, q->eps, q->t, q->y, a);
        memcpy(q->in, q->xt, (size_t)(b * size) * sizeof *q->in);
    }
    for (int i = 0; i < b; i++) {
        double cin, cout = 1;                          /* D - x0 = cout (what it says - y) */
        if (k->pre && o->norm.row >= FD_NORM_LIKELIHOOD)
            fd_precond_scale(k->pre, q->t[i], &cin, &cout);
        q->w[i] *= cout * cout;
        if (!k->pre && o->weight.row)
            q->w[i] *= fd_time_weight(&k->p, o->weight.row, k->predict.row, q->t[i], a.st);
    }
}

/* norm_loss -- the loss in the norm W of --norm. The target y becomes says - W (says - y), so that
 * |says - y|^2, which the tape knows, has the gradient that the loss has. */
static inline double norm_loss(const kit *k, const args *o, int b, const fd_real *says, batch *q,
                               fd_arena a)
{
    ptrdiff_t size = fd_size(&k->s), n = b * size;
    int kind = k->pre ? FD_X0 : k->predict.row;
    double loss = 0;
    for (ptrdiff_t i = 0; i < n; i++) q->eps[i] = says[i] - q->y[i];
    for (int pass = 0; pass < 2; pass++) {
        fd_loss_weigh(&k->p, o->norm.row, o->norm.v[0], kind, b, q->t, q->eps, a);
        for (int i = 0; i < b && !pass; i++)
            loss += q->w[i] / b * fd_inner(&k->s, q->eps + i * size, q->eps + i * size);
    }
    for (ptrdiff_t i = 0; i < n; i++) q->y[i] = says[i] - q->eps[i];
    return loss;
}

/* time_law -- of --time-law least; says how much it saves. */
static inline fd_time_law *time_law(fd_arena *a, const kit *k, const args *o)
{
    fd_time_law *l = fd_time_law_new(a, &k->p, k->c0, o->norm.row, o->norm.v[0],
                                     k->pre ? FD_X0 : k->predict.row);
    double sum = 0;
    need(a->st);
    for (int i = 0; i < l->n; i++)
        sum += (l->cdf[i + 1] - l->cdf[i]) * (l->cdf[i + 1] - l->cdf[i]) / (l->t[i + 1] - l->t[i]);
    printf("time law: the mean square of the loss of a pair is 1/%.4g of that under uniform "
           "times\n", sum * (l->t[l->n] - l->t[0]));
    fflush(stdout);
    return l;
}

/* data_label -- the labels of the functions that are used, from a file that has those of all. */
static inline void data_label(fd_arena *a, dataset *d, const char *path)
{
    source f = source_open(a, path);
    int *label = fd_raw(a, int, d->m);
    double *y = fd_raw(a, double, d->total);
    need(a->st);
    if (source_count(&f) != d->total || f.n[0] != d->total)
        die(1, "%s: not a label for each of the %d functions of %s", path, d->total, d->name);
    source_doubles(&f, 0, d->total, y, *a);
    need(a->st);
    source_close(&f);
    for (int i = 0; i < d->m; i++) {
        double v = y[data_index(d, i)];
        if (!(v >= 0 && v < 65535 && v == floor(v)))
            die(1, "%s: function %d has the label %g: wants whole numbers from 0 to 65534", path,
                data_index(d, i), v);
        label[i] = (int)v;
        if (label[i] >= d->labels) d->labels = label[i] + 1;
    }
    d->label = label;
}

/* data_like -- a line where functions are not of the size that those had by which the model
 * normalises. */
static inline void data_like(const dataset *d, const char *model)
{
    double power = 0;
    ptrdiff_t size = fd_size(&d->s);
    if (d->norm.kind == NORMALIZE_NONE) return;
    for (ptrdiff_t k = 0; k < size; k++) power += pow((double)d->mean[k], 2) / (double)size;
    for (ptrdiff_t k = 0; k < d->s.modes; k++) power += d->var[k];
    if (power > 10 || power < 0.1)
        printf("%s: as %s normalises, these have a mean square of %.3g, and those of its training "
               "had 1\n", d->name, model, power);
}

/* gap_warn -- a line where the data can still be seen at the last time, from which samplers
 * start. */
static inline void gap_warn(const kit *k, fd_arena a)
{
    fd_gap g = fd_terminal(&k->p, k->mean, k->c0, a);
    double power = 0;
    need(a.st);
    for (ptrdiff_t i = 0; i < k->s.modes; i++)
        power += k->s.ch * fd_law(&k->p, k->p.tmax, i).v * k->noise->lam[i];
    if (g.w2 > 0.1 * sqrt(power))
        printf("the law at the last time is not that of noise: W2 between them is %.3g, the "
               "noise's size %.3g; fd sample --start matched, a longer process%s\n", g.w2,
               sqrt(power), k->norm.kind == NORMALIZE_NONE
               && !k->norm.bytes ? ", or --normalize scale" : "");
    fflush(stdout);
}

/* part_grad -- adds to net's gradient that of a part of the batch, over how many there are; the
 * part's share of the loss. */
static inline double part_grad(const kit *k, const fd_net *net, const args *o, batch *q, fd_arena a)
{
    const fd_arch *arch = &net->arch;
    const int parts = o->accumulate, b = o->batch / parts;
    fd_tape tape = fd_tape_begin(&a, arch->inr.inner && !arch->inr.first ? FD_GRAD2 : FD_GRAD);
    fd_var *in = fd_input(&tape, 3, (int[]){ b, arch->in, (int)k->s.points }, q->in);
    fd_var *says = fd_forward_label(net, &tape, &k->s, in, q->t, q->label);
    double other = o->norm.row && says ? norm_loss(k, o, b, says->x, q, a) : 0;
    fd_var *fit = fd_mse_loss(&tape, &k->s, says, q->y, q->w);
    fit = fd_affine(&tape, fit, 1.0 / parts, 0);
    fd_backward(&tape, fit);
    double loss = o->norm.row ? other / parts : fit ? (double)fit->x[0] : 0;
    fd_tape_end(&tape);
    return loss;
}

/* step_grad -- loss and gradient of the batch of a step, part by part: see ranks.h. */
static inline double step_grad(const kit *k, const dataset *d, const args *o, int step, batch *q,
                               fd_arena a)
{
    const ptrdiff_t count = k->net->count;
    double loss = 0;
    fd_net net = *k->net;
    if (q->grad) net.g = q->grad;
    for (int j = my_rank; j < o->accumulate; j += ranks) {
        if (q->grad) memset(q->grad, 0, (size_t)count * sizeof *q->grad);
        batch_draw(q, k, d, o, step, j, a);
        loss = ranks_sum(loss, part_grad(k, &net, o, q, a));
        if (q->grad) ranks_add(count, q->grad, k->net->g, q->room);
    }
    ranks_join(count, k->net->g);
    return loss;
}

/* pairs_open -- the functions from which k goes. */
static inline dataset pairs_open(fd_arena *a, kit *k, const args *o, const char *start)
{
    if (!start) die(2, "train: %s goes from functions to functions: --pairs A:B", o->resume);
    dataset d = data_open(a, start, o, k, shape_of(&k->s), shape_of(&k->s));
    data_measure(a, &d, o->normalize.row, o->resume ? &k->norm0 : NULL);
    data_say(&d, "", o->resume);
    k->norm0 = d.norm, k->axes0 = d.axes;
    return d;
}

static inline batch batch_new(fd_arena *a, const kit *k, const args *o, int *perm)
{
    const int b = o->batch / o->accumulate;
    const ptrdiff_t n = b * fd_size(&k->s), seen = b * k->net->arch.in * k->s.points;
    fd_real *x = fd_raw(a, fd_real, 4 * n + seen);
    double *t = fd_raw(a, double, 2 * b);
    int *which = fd_raw(a, int, b);
    int *label = k->net->arch.labels ? fd_raw(a, int, b) : NULL;
    fd_real *grad = o->accumulate > 1 ? fd_raw(a, fd_real, k->net->count) : NULL;
    fd_real *room = ranks > 1 ? fd_raw(a, fd_real, k->net->count + ranks) : NULL;
    need(a->st);
    return (batch){ x, x + n, x + 2 * n, x + 4 * n, x + 3 * n, t, t + b, perm, which, -1, label,
                    NULL, grad, room };
}

/* step_failed -- why a step could not be taken. */
static inline void step_failed(const fd_status *st, int step, int first)
{
    char text[256];
    fd_explain(st, text, sizeof text);
    if (st->code == FD_ESHAPE && first) die(2, "--net: not on this grid: %s", text);
    die(1, "step %d: %s%s", step, text, st->code == FD_ENOMEM ? "; give more by --memory" : "");
}

/* number_text -- 725, "38 thousand", "1.2 million"; size_text -- "180 MB". */
static inline const char *number_text(double n, char text[32])
{
    int k = n < 1e4 ? 0 : n < 1e6 ? 1 : n < 1e9 ? 2 : 3;
    n /= pow(10, 3 * k);
    sprintf(text, k && n < 10 ? "%.1f%s" : "%.0f%s", n,
            ((const char *[]){ "", " thousand", " million", " billion" })[k]);
    return text;
}

static inline const char *size_text(double n, char text[32])
{
    int k = n < 1e6 ? 1 : n < 1e9 ? 2 : 3;
    n /= pow(10, 3 * k);
    sprintf(text, n < 10 ? "%.1f %cB" : "%.0f %cB", n, " kMG"[k]);
    return text;
}

/* rehearse -- steps of one and of two functions, undone, tell what memory a batch will take: that
 * and the weights are said, or, before any training, that it is too much. Returns the bytes that
 * stay free. */
static inline double rehearse(kit *k, const dataset *d, const args *o, int *perm,
                              const fd_time_law *law, fd_arena a)
{
    fd_status *st = a.st;
    size_t low = st->low, left = (size_t)(a.end - a.beg);
    double need_draw[2], need_grad[2];
    double each = (double)k->s.points * sizeof(fd_real) * (4 * k->s.ch + k->net->arch.in);
    double weights = (double)k->net->count * sizeof(fd_real);
    char text[3][32];
    const char *net = t_net.rows[o->net.row].name;
    for (int b = 1; b <= 2; b++) {
        if (b > o->batch) { need_draw[1] = need_draw[0]; need_grad[1] = need_grad[0]; break; }
        args p = *o;
        fd_arena m = a;
        p.batch = b;
        p.accumulate = 1;
        batch q = batch_new(&m, k, &p, perm);
        q.law = law;
        size_t here = st->low = (size_t)(m.end - m.beg);
        batch_draw(&q, k, d, &p, k->opt->step, 0, m);
        need_draw[b - 1] = (double)(here - st->low);
        st->low = here;
        part_grad(k, k->net, &p, &q, m);
        need_grad[b - 1] = (double)(here - st->low);
        if (st->code == FD_ENOMEM)
            die(1, "%s: %s weights: %s are left for training, not enough for %d function%s: give "
                "more by --memory", net, number_text((double)k->net->count, text[0]),
                size_text((double)left, text[1]), b, b > 1 ? "s" : "");
        if (st->code) step_failed(st, k->opt->step + 1, !k->opt->step);
    }
    memset(k->net->g, 0, (size_t)k->net->count * sizeof *k->net->g);
    st->low = low;
    int fits = 0;                              /* the fewest parts whose memory is there */
    double bytes = 0;
    for (int parts = o->accumulate; parts <= o->batch; parts++) {
        if (o->batch % parts || parts % ranks) continue;
        int b = o->batch / parts;
        double draw = need_draw[0] + (b - 1) * fmax(0, need_draw[1] - need_draw[0]);
        double grad = need_grad[0] + (b - 1) * fmax(0, need_grad[1] - need_grad[0]);
        double all = b * each + ((parts > 1) + (ranks > 1)) * weights + fmax(draw, grad);
        if (parts == o->accumulate) bytes = all;
        if (all <= (double)left) { fits = parts; break; }
    }
    double fixed = (double)(st->size - left);
    number_text((double)k->net->count, text[0]);
    size_text(bytes + fixed, text[1]);
    if (fits != o->accumulate) {
        char part[48] = "";
        if (fits) sprintf(part, ", or --accumulate %d", fits);
        die(1, "%s: %s weights: batches of %d need about %s, more than there is: give more by "
            "--memory%s", net, text[0], o->batch, text[1], part);
    }
    if (!o->quiet)
        printf("%s: %s weights; about %s for batches of %d\n", net, text[0], text[1], o->batch);
    fflush(stdout);
    return (double)left - bytes;
}

/* rate_follow -- makes the learning rate one of the share of the time that is used. */
static inline void rate_follow(fd_opt *opt, double done)
{
    opt->how.steps = opt->step < 10 ? INT_MAX : (int)fmin(opt->step / fmax(done, 1e-3), 1e9);
}

/* duration_say -- how long so many steps will take. */
static inline void duration_say(double left, int steps)
{
    const char *unit = left < 120 ? "s" : left < 7200 ? "min" : "hours";
    double in = left < 120 ? left : left < 7200 ? left / 60 : left / 3600;
    bar_end();
    printf("about %.*f %s for %d steps\n", in < 10, in, unit, steps);
    fflush(stdout);
}

/* exploded -- dies, and says where the last good model is. */
static inline void exploded(const kit *k, const args *o, double least, int saves)
{
    int kept = saves || (o->out && o->resume && !strcmp(o->out, o->resume));
    die(1, "step %d: the loss has exploded, from %.3g: a smaller --lr, --clip 1; %s%s",
        k->opt->step + 1, least, kept ? "the last good model is in " : "no model was written",
        kept ? o->out : "");
}

/* train_save -- the model at the end, after a failure, too, which *st keeps. */
static inline void train_save(fd_status *st, const kit *k, const args *o, fd_arena a)
{
    fd_status why = *st;
    st->code = FD_OK;
    kit_save(st, o->out, k, o, a);
    need(st);
    wrote(o->out);
    *st = why;
}

/* train -- to o->steps steps or for o->budget seconds; writes the model after 2 s, then every 30 s
 * or every o->save steps, and at the end: after Ctrl-C, too, and after a failure as it was before.
 * Three losses in a row of a million times the least mean have exploded: that ends the run, and the
 * file is as it was when the loss of its weights was last near the least. Returns the signal, or
 * 0. */
static inline int train(kit *k, const dataset *d, const args *o, curve *c, fd_arena a)
{
    enum { SOON = 2, LATER = 30, EARLY = 10, STRIKES = 3, FAILED = 1000 };
    fd_status *st = a.st;
    int end, first = k->opt->step, steps = k->opt->how.steps, last = first, saves = 0, strikes = 0;
    int told = o->quiet || o->budget > 0;
    double begin, smooth = 0, least = INFINITY, saved, loss = 0;
    dataset near = *d;
    int *perm = fd_raw(&a, int, d->m);
    need(st);
    const fd_time_law *law = o->law.row == LAW_LEAST ? time_law(&a, k, o) : NULL;
    double spare = rehearse(k, d, o, perm, law, a);
    data_keep(&a, &near, spare / 2);
    batch q = batch_new(&a, k, o, perm);
    q.law = law;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    begin = saved = now();
    ranks_reset();
    while (!(end = (int)ranks_most(st->code ? FAILED : stopped))) {
        fd_opt *opt = k->opt;
        double spent = now() - begin;
        if (o->budget > 0) ranks_share(&spent, sizeof spent, 0);
        double done = o->budget > 0 ? spent / o->budget
                                    : (double)(opt->step - first) / (o->steps - first);
        if (o->budget > 0 ? done >= 1 : opt->step >= o->steps) break;
        if (o->budget > 0) rate_follow(opt, done);
        double rate = fd_opt_rate(opt, opt->step + 1);
        loss = step_grad(k, &near, o, opt->step, &q, a);
        int ran = opt->step - first + 1;
        int due = o->save ? opt->step / o->save > last / o->save
                          : now() - saved > (saves ? LATER : SOON);
        strikes = st->code || loss <= 1e6 * least ? 0 : loss < INFINITY ? strikes + 1 : STRIKES;
        if (strikes == STRIKES) break;
        int good = loss < 10 * least;
        if (!my_rank && o->out && due && opt->step > last && good) {
            kit_save(st, o->out, k, o, a);
            saved = now();
            last = opt->step;
            saves++;
        }
        double norm = fd_opt_step(opt, k->net, st);
        if (st->code) break;
        spent = now() - begin;
        curve_add(c, (double[]){ opt->step, loss, norm, rate, spent });
        smooth += fmax(0.02, 1.0 / ran) * (loss - smooth);
        if (loss > 0 && !strikes) least = fmin(least, fmax(smooth, loss));
        done = o->budget > 0 ? fmin(1, spent / o->budget) : (double)ran / (o->steps - first);
        progress("step", opt->step, done, smooth, ran * o->batch / spent,
                 o->budget > 0 ? o->budget - spent : (o->steps - opt->step) * spent / ran);
        if (!told && (ran == EARLY || (ran > 1 && spent > 5))) {
            told = 1;
            duration_say((o->steps - first) * spent / ran, o->steps - first);
        }
    }
    bar_end();
    if (end != FAILED && !st->code) ranks_say(k->opt->step - first, now() - begin);
    if (o->budget > 0) k->opt->how.steps = steps > k->opt->step ? steps : k->opt->step;
    if (strikes == STRIKES || (st->code == FD_ENAN && !(loss < 10 * least)))
        exploded(k, o, least, saves);
    if (!my_rank && k->opt->step > first && o->out) train_save(st, k, o, a);
    if (st->code) step_failed(st, k->opt->step + 1, k->opt->step == first && !first);
    return end;
}

/* ---- Sampling -------------------------------------------------------------------------------- */

static inline fd_sampler sampler_of(const args *o, const fd_process *p, fd_model m, const double *t)
{
    const double *c = o->corrector.v;
    return (fd_sampler){ .p = p, .model = m, .t = t, .steps = o->steps, .scheme = o->scheme.row,
                         .eta = o->eta, .denoise = o->denoise, .start = o->start.row,
                         .corrector = o->corrector.row, .cprm = c[0], .inner = (int)c[1],
                         .before = (int)c[2], .band = o->corrector.row == FD_CORRECT_SNR
                             ? (int)c[3] : 0,
                         .churn = o->churn };
}

/* times_fit -- may --times go with the process? p gets its last time. Where there is no noise at 0,
 * a rule that needs noise ends before: a chain of DDPM at level 1, logsnr times elsewhere at a
 * thousandth of the last time. D of that is the sample. */
static inline int times_fit(const kit *k, const args *o, fd_process *p)
{
    *p = k->p;
    if (o->times.row == FD_UNIFORM) return 1;
    if (k->process.row == PROCESS_DDPM) p->tmin = 1;
    if (o->times.row == FD_LOGSNR && !(fd_law(p, p->tmin, 0).v > 0)) p->tmin = 1e-3 * p->tmax;
    return p->tmin > 0 || o->times.row != FD_GEOMETRIC;
}

/* settle -- o with what is "auto" replaced by what the process of k wants. Churn and eta need a
 * scheme that has a use for them. */
static inline args settle(const args *o, const kit *k)
{
    args s = *o;
    int kind = k->process.row;
    if (!is_given("batch") && s.batch > (s.n + ranks - 1) / ranks && ranks > 1)
        s.batch = (s.n + ranks - 1) / ranks;
    if (!s.steps) s.steps = STEPS_AUTO;
    if (s.scheme.row == SCHEME_AUTO)
        s.scheme.row = s.churn > 0 || s.eta > 0 ? FD_DDIM : sampled_by[kind].scheme;
    if (s.times.row == TIMES_AUTO)
        s.times = (spec){ .t = &t_times, .row = sampled_by[kind].times };
    if (s.start.row == START_AUTO) s.start.row = sampled_by[kind].start;
    return s;
}

/* settled_print -- the sampler in words, without an end of line. */
static inline void settled_print(const args *o)
{
    printf("%d steps of %s at %s times, start %s", o->steps, fd_scheme_name(o->scheme.row),
           t_times.rows[o->times.row].name, t_start.rows[o->start.row].name);
}

/* times_set -- the times of a sampler, t[steps+1]; those of a chain are whole: no other levels are
 * trained. */
static inline void times_set(const kit *k, const args *o, double *t, fd_status *st)
{
    fd_process p;
    int n = o->steps, whole = 0;
    if (!times_fit(k, o, &p))
        die(2, "--times: %s needs a last time above 0: %s %s:tmin=...",
            t_times.rows[o->times.row].name,
            k->net ? "train with --process" : "--process", k->process.t->rows[k->process.row].name);
    fd_times(&p, o->times.row, o->times.v[0], n, t, st);
    if (st->code) return;
    if (k->process.row == PROCESS_DDPM) whole = n <= p.tmax - p.tmin;
    for (int i = n - 1; i > 0 && whole; i--) t[i] = fmax(floor(t[i] + 0.5), t[i + 1] + 1);
    for (int i = 1; i < n && whole; i++) t[i] = fmin(t[i], t[i - 1] - 1);
}

/* batches_share -- the functions that the processes have made in turn, to all of them. */
static inline void batches_share(int n, int some, ptrdiff_t size, fd_real *x)
{
    for (int i = 0; i < n; i += some)
        ranks_share(x + i * size, (n - i < some ? n - i : some) * size * (ptrdiff_t)sizeof *x,
                    i / some % ranks);
}

/* sample -- n functions to x, o->batch at a time, batches in turn by the processes. states
 * [show][frames+1][size], where not NULL, gets the first `show` (at most o->batch) functions in
 * frames from noise to sample. */
static inline void sample(const kit *k, const args *flags, int n, fd_real *x, int show, int frames,
                          fd_real *states, fd_arena a)
{
    const args is = settle(flags, k), *o = &is;
    ptrdiff_t size = fd_size(&k->s);
    double *t = fd_raw(&a, double, o->steps + 1), begin = now();
    fd_sampler how = sampler_of(o, &k->p, k->model, t);
    how.mean = k->mean;
    how.cov = k->c0;
    need(a.st);
    if ((o->scheme.row == FD_ANCESTRAL_OPTIMAL && k->net)
        || (o->scheme.row == FD_ANNEALED && !o->corrector.row))
        die(2, "--scheme: %s: %s", t_scheme.rows[o->scheme.row].name,
            t_scheme.rows[o->scheme.row].help);
    times_set(k, o, t, a.st);
    for (int i = 0; i < n; i += o->batch) {
        fd_arena m = a;
        int b = n - i < o->batch ? n - i : o->batch, frame = 0, more = 1;
        if (i / o->batch % ranks != my_rank) continue;
        fd_run *run = fd_begin(&m, &how, fd_seed(o->seed), o->first + i, b);
        need(a.st);
        while (more) {
            for (; states && !i && frame <= frames && run->k * frames >= frame * o->steps; frame++)
                for (int j = 0; j < show; j++)
                    memcpy(states + (j * (frames + 1) + frame) * size, run->x + j * size,
                           (size_t)size * sizeof *x);
            more = fd_step(run, m);
            need_grid(a.st);
            double done = (i + (double)b * run->k / o->steps) / n, spent = now() - begin;
            if (isatty(2) && done > 0)
                progress("sample", i + b, done, -1, done * n / spent, spent * (1 / done - 1));
        }
        memcpy(x + i * size, run->x, (size_t)(b * size) * sizeof *x);
        for (int j = 0; states && !i && j < show; j++)                 /* denoised, too */
            memcpy(states + (j * (frames + 1) + frames) * size, run->x + j * size,
                   (size_t)size * sizeof *x);
    }
    batches_share(n, o->batch, size, x);
    bar_end();
}

/* ---- Metrics --------------------------------------------------------------------------------- */

/* Of samples against real data, beside what two independent sets of real data score. */

enum { METRICS = 6, SPLITS = 4 };
static const char *const metric_name[METRICS] = { "spectrum", "w2_modes", "frechet", "sliced_w2",
                                                  "energy_distance", "mmd2" };
static const char *const metric_help[METRICS] = {
    "mean |log10| of the ratio of the energy spectra", "squared W2 of Gaussians, diagonal in modes",
    "squared W2 of Gaussians on principal components", "sliced W2, squared",
    "unbiased; 0: the same law", "unbiased; 0: the same law" };

/* shells -- how many shells of waves |k| = 0, 1, .. a grid has all modes of. */
static inline int shells(const fd_space *s)
{
    int least = INT_MAX;
    for (int i = 0; i < s->nd; i++) {
        int n = s->bc[i] == FD_PERIODIC ? (s->n[i] + 1) / 2
              : s->bc[i] == FD_NEUMANN ? s->n[i] : s->n[i] + 1;
        if (n < least) least = n;
    }
    return least;
}

static inline void metrics_of(const fd_space *s, int n, const fd_real *x, const fd_real *y, int pcs,
                              double v[METRICS], fd_arena a)
{
    int bins = shells(s);
    double *e = fd_new(&a, double, bins), *f = fd_new(&a, double, bins);
    if (!e || !f) return;
    fd_spectrum(s, n, x, bins, e, a);
    fd_spectrum(s, n, y, bins, f, a);
    v[0] = 0;
    for (int i = 0; i < bins; i++) v[0] += fabs(log10((e[i] + 1e-12) / (f[i] + 1e-12))) / bins;
    v[1] = fd_w2_modes(s, n, x, n, y, a);
    v[2] = fd_frechet(s, pcs < n ? pcs : n - 1, n, x, n, y, a);
    v[3] = fd_sliced_w2(s, fd_seed(1), 128, n, x, n, y, a);
    v[4] = fd_energy_distance(s, n, x, n, y);
    v[5] = fd_mmd2(s, n, x, n, y, 0, a);
}

typedef struct {
    int splits;
    double x[METRICS], x_sd[METRICS], real[METRICS], real_sd[METRICS];     /* over the splits */
} scores;

/* score -- n samples against `splits` disjoint pairs of sets of n real functions, n <= m / 2. */
static inline scores score(const fd_space *s, int n, const fd_real *x, const dataset *real, int pcs,
                           fd_rng r, fd_arena a)
{
    int m = real->m;
    scores v = { .splits = m / (2 * n) < SPLITS ? m / (2 * n) : SPLITS };
    ptrdiff_t size = fd_size(s);
    int *p = fd_raw(&a, int, m);
    fd_real *y[2] = { fd_raw(&a, fd_real, n * size), fd_raw(&a, fd_real, n * size) };
    need(a.st);
    fd_perm(r, m, p);
    for (int k = 0; k < v.splits; k++) {
        double got[2][METRICS] = { { 0 } };
        for (int i = 0; i < 2 * n; i++)
            data_take(real, p[2 * n * k + i], y[i / n] + (i % n) * size, a);
        metrics_of(s, n, x, y[0], pcs, got[0], a);
        metrics_of(s, n, y[1], y[0], pcs, got[1], a);
        need(a.st);
        for (int j = 0; j < METRICS; j++) {
            v.x[j] += got[0][j];
            v.x_sd[j] += got[0][j] * got[0][j];
            v.real[j] += got[1][j];
            v.real_sd[j] += got[1][j] * got[1][j];
        }
    }
    double c = v.splits, d = c > 1 ? c - 1 : 1;
    for (int j = 0; j < METRICS; j++) {
        v.x[j] /= c;
        v.real[j] /= c;
        v.x_sd[j] = sqrt(fmax(0, v.x_sd[j] - c * v.x[j] * v.x[j]) / d);
        v.real_sd[j] = sqrt(fmax(0, v.real_sd[j] - c * v.real[j] * v.real[j]) / d);
    }
    return v;
}

static inline void text_save(const char *path, const char *text)
{
    fd_status st = { 0 };
    fd_text_save(&st, path, text);
    need(&st);
    wrote(path);
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* panel -- channel c of one function as an image h x w: 2-D as it is, 3-D its middle slice, 1-D a
 * curve between lo and hi. With y NULL only the size. */
static inline void panel(const fd_space *s, const fd_real *x, int c, double lo, double hi, int *h,
                         int *w, fd_real *y)
{
    int n = s->n[s->nd - 1], wide = s->nd == 1 ? (95 + n) / n : 1;
    *h = s->nd == 1 ? 64 : s->n[s->nd - 2];
    *w = n * wide;
    if (!y) return;
    x += c * s->points + (s->nd == 3 ? (ptrdiff_t)(s->n[0] / 2) * *h * *w : 0);
    if (s->nd > 1) { memcpy(y, x, (size_t)(*h * *w) * sizeof *y); return; }
    for (int i = 0; i < *h * *w; i++) y[i] = (fd_real)lo;
    for (int i = 0, last = -1; i < *w; i++) {
        double u = (double)i / wide, part = u - (int)u;
        int j = (int)u, k = j + 1 < n ? j + 1 : j;
        double v = (double)x[j] + part * (double)(x[k] - x[j]);
        int at = (int)((*h - 1) * (1 - fmin(1, fmax(0, (v - lo) / (hi - lo)))) + 0.5);
        if (last < 0) last = at;
        for (int a = at < last ? at : last, b = at < last ? last : at; a <= b; a++)
            y[a * *w + i] = (fd_real)hi;
        last = at;
    }
}

/* sheet -- b functions, cols beside each other (0: a square of them); a panel for each channel. */
static inline void sheet(fd_status *st, const char *path, const fd_space *s, int b, int cols,
                         const fd_real *x, double lo, double hi, int map, fd_arena a)
{
    int h, w, c = b * s->ch;
    panel(s, x, 0, lo, hi, &h, &w, NULL);
    const ptrdiff_t size = (ptrdiff_t)h * w;
    cols = (cols ? cols : (int)ceil(sqrt(b))) * s->ch;
    int zoom = 720 / (cols * w);
    fd_real *y = fd_raw(&a, fd_real, c * size);
    need(st);
    for (int f = 0; f < c; f++)
        panel(s, x + f / s->ch * fd_size(s), f % s->ch, lo, hi, &h, &w, y + f * size);
    fd_png_sheet(st, path, c, cols, h, w, y, lo, hi, map, zoom < 1 ? 1 : zoom > 4 ? 4 : zoom, a);
    need(st);
    wrote(path);
}

/* range -- lo and hi of n numbers. */
static inline void range(ptrdiff_t n, const fd_real *x, double *lo, double *hi)
{
    *lo = *hi = (double)x[0];
    for (ptrdiff_t i = 1; i < n; i++) {
        *lo = fmin(*lo, (double)x[i]);
        *hi = fmax(*hi, (double)x[i]);
    }
    if (*hi <= *lo) *hi = *lo + 1;
}

/* unit -- each of `frames` columns of states [show][frames][size] to its own range, 0 to 1, because
 * noise may be much larger than data. */
static inline void unit(int show, int frames, ptrdiff_t size, fd_real *x)
{
    for (int f = 0; f < frames; f++) {
        double lo = 0, hi = 0;
        for (int i = 0; i < show; i++) {
            double l, h;
            range(size, x + (i * frames + f) * size, &l, &h);
            lo = i ? fmin(lo, l) : l;
            hi = i ? fmax(hi, h) : h;
        }
        for (int i = 0; i < show; i++)
            for (ptrdiff_t j = 0; j < size; j++) {
                fd_real *v = x + (i * frames + f) * size + j;
                *v = (fd_real)(((double)*v - lo) / (hi - lo));
            }
    }
}
#endif
