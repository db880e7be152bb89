/* darcy.c -- what is the ground like, given 36 pressures? By every method, on 32x32, 64x64 and
 * 128x128 cells.
 *
 * -div(exp(x) grad p) = 1 on the unit square, p = 0 on its boundary, x ~ N(0, C), C Matern 3/2 of
 * length .3 and free ends, of variance .92 a point. p is observed at 6x6 places with noise of
 * deviation .004. The truth is solved for on 256x256 cells; every method gets the same 36 numbers
 * on every grid.
 *
 *   chains      the yardstick: inf-HMC with random numbers of leaps. On 64 and 128 a step is made
 *               with the solver of 32x32 cells, corrected by a constant, and accepted by that of
 *               the grid: exact, and one solution there
 *   linear      the exact posterior for the best linear F, which is E[DF(x)] by Stein's lemma, and
 *               for Gaussian noise of the covariance of what is left
 *   amortised   a network that adds to the conditional denoiser of `linear`, trained on pairs of x
 *               and y on 32x32 cells
 *   multilevel  like MultilevelDiff [ML]: a network that predicts the noise, told of y by the mean
 *               of `linear`; noise of finite trace that is not the prior's; the first half of its
 *               training on 16x16 points
 *   gano        like GANO: one evaluation of a neural operator turns a random function into a draw;
 *               here it is trained by the energy score and not by an adversary
 *   split       split Gibbs: x | z by the exact diffusion model, z | x by inf-HMC
 *   pigdm, dps  guidance of the exact model; dps with the best of five weights at 32x32
 *   esmda       eight steps of ES-MDA, no derivative
 *
 * build/darcy [SCALE, 1: times the trainings of the networks]: table, out/darcy.csv,
 * out/darcy.png. Each finished part is a file in out/darcy, and is not made again. See darcy.md. */
#include "../pde.h"
#include "plot.h"
#include <stdio.h>
#include <time.h>
#include <sys/stat.h>

enum { GRIDS = 3, SIDE = 6, M = SIDE * SIDE, CHAINS = 4, KEEP = 64, FEATURES = 9, BURN = 200,
       BATCH = 16, STEPS = 20, LENGTH = 900, ALL = FEATURES * LENGTH };
enum { REFERENCE, EXACT, LINEAR, AMORTISED, MULTILEVEL, GANO, SPLIT, PIGDM, DPS, ESMDA, PRIOR,
       METHODS };
static const char *const name[METHODS] = { "reference", "exact draws", "linear", "amortised",
    "multilevel", "gano", "split", "pigdm", "dps", "esmda", "prior" };
static const int side[GRIDS] = { 32, 64, 128 }, free_ends[2] = { FD_NEUMANN, FD_NEUMANN };
static const double NOISE = 4e-3, weight[] = { .003, .01, .03, .1, .3 };
static double scale = 1;

static double now(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* ---- The equation on one grid ---------------------------------------------------------------- */

typedef struct {
    int n;
    fd_space s;
    fd_cov *prior;
    fd_obs seen, o;                        /* of the pressure; of x, through the equation */
    fd_arena room; /* of the last solution: its gradient needs no second one */
    fd_real *last;
    double *k, *f, *p, *q;                 /* coefficient, right side, pressure, adjoint */
    pde_darcy *d;
    long long solves;
} ground;

static void solve(ground *g, const fd_real *x, fd_arena scratch)
{
    const int size = g->n * g->n;
    double most = 0;
    if (g->d && !memcmp(x, g->last, (size_t)size * sizeof *x)) return;
    fd_arena room = g->room;
    room.st = scratch.st;
    for (int i = 0; i < size; i++) {
        g->k[i] = exp((double)x[i]), g->f[i] = 1, g->last[i] = x[i], g->p[i] = NAN;
        if (!(fabs((double)x[i]) <= most)) most = fabs((double)x[i]);
    }
    g->d = NULL; /* a wild proposal: no pressure, and chains reject it */
    if (most < 30) g->d = pde_darcy_new(&room, g->n, PDE_HARMONIC, PDE_MULTIGRID, 1e-6, g->k);
    if (g->d) pde_darcy_solve(g->d, g->f, g->p, room);
    g->solves++;
}

static void apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                  fd_arena a)
{
    ground *g = (ground *)(uintptr_t)self;
    fd_real *u = fd_raw(&a, fd_real, s->points);
    for (int i = 0; u && i < b && !a.st->code; i++) {
        solve(g, x + i * s->points, a);
        for (int j = 0; j < s->points; j++) u[j] = (fd_real)g->p[j];
        g->seen.apply(g->seen.self, s, 1, u, y + i * M, a);
    }
}

static void transpose(const void *self, const fd_space *s, int b, const fd_real *x, const double *w,
                      fd_real *out, fd_arena a)
{
    ground *g = (ground *)(uintptr_t)self;
    const int size = (int)s->points;
    for (int i = 0; i < b && !a.st->code; i++) {
        fd_real *u = out + (ptrdiff_t)i * size;
        solve(g, x + (ptrdiff_t)i * size, a);
        for (int j = 0; j < size; j++) u[j] = (fd_real)NAN;
        if (!g->d) continue;
        g->seen.transpose(g->seen.self, s, 1, NULL, w + i * M, u, a);
        for (int j = 0; j < size; j++) g->f[j] = (double)u[j] * size;
        pde_darcy_solve(g->d, g->f, g->q, a);
        pde_darcy_gradient(g->d, PDE_HARMONIC, g->k, g->p, g->q, g->f);
        for (int j = 0; j < size; j++) u[j] = (fd_real)(g->f[j] * g->k[j]);
        g->solves++;
    }
}

static void places(double at[M][2])
{
    for (int i = 0; i < M; i++)
        at[i][0] = (i / SIDE + .5) / SIDE, at[i][1] = (i % SIDE + .5) / SIDE;
}

static ground *ground_new(fd_arena *a, int n)
{
    double at[M][2];
    const size_t room = (size_t)(n + 2) * (size_t)(n + 2) * 160 + 65536;
    ground *g = fd_new(a, ground, 1);
    if (!g) return NULL;
    places(at);
    g->n = n, g->s = fd_grid(a, 2, (int[]){ n, n }, NULL, free_ends, 1);
    g->prior = fd_cov_matern(a, &g->s, .5, .3, 1.5);
    g->seen = fd_obs_points(a, &g->s, M, at[0], NULL);
    g->o = (fd_obs){ .s = g->s, .m = M, .apply = apply, .transpose = transpose, .self = g };
    fd_obs_noise(a, &g->o, NOISE);
    g->last = fd_raw(a, fd_real, n * n), g->k = fd_raw(a, double, 4 * n * n);
    char *own = fd_raw(a, char, room);
    if (!own) return NULL;
    g->f = g->k + n * n, g->p = g->f + n * n, g->q = g->p + n * n;
    g->room = (fd_arena){ own, own + room, a->st };
    return g;
}

/* ---- Parts: mean and deviation of a method on a grid, kept in files -------------------------- */

typedef struct { fd_real *mean, *sd, v[4]; } part;         /* v: draws, seconds, solutions, .. */

static const char *path(const char *what, int n, int c)
{
    static char text[96];
    if (c < 0) snprintf(text, sizeof text, "out/darcy/%s-%d.safetensors", what, n);
    else snprintf(text, sizeof text, "out/darcy/%s-%d-%d.safetensors", what, n, c);
    return text;
}

static int part_load(fd_arena *a, const char *file, int n, part *p)
{
    struct stat is;
    if (a->st->code || stat(file, &is)) return 0;
    fd_tensors f = fd_tensors_load(a, file);
    const fd_tensor *m = fd_tensor_need(a->st, "darcy", &f, "mean"),
                    *s = fd_tensor_need(a->st, "darcy", &f, "sd");
    const fd_tensor *v = fd_tensor_need(a->st, "darcy", &f, "v");
    if (a->st->code || m->n[0] * m->n[1] != n * n || s->n[0] * s->n[1] != n * n || v->n[0] != 4) {
        fd_fail_name(a->st, FD_EDATA, "darcy", "a part of another experiment: remove it", file);
        return 0;
    }
    p->mean = m->x, p->sd = s->x;
    memcpy(p->v, v->x, sizeof p->v);
    return 1;
}

static void part_save(fd_status *st, const char *file, int n, const part *p)
{
    fd_tensor t[3] = { { "mean", 2, { n, n }, p->mean, NULL }, { "sd", 2, { n, n }, p->sd, NULL },
                       { "v", 1, { 4 }, (fd_real *)(uintptr_t)p->v, NULL } };
    fd_tensors_save(st, file, &(fd_tensors){ .count = 3, .tensor = t });
}

static part moments(fd_arena *a, int n, int b, const fd_real *x)
{
    part p = { fd_raw(a, fd_real, n * n), fd_raw(a, fd_real, n * n), { (fd_real)b } };
    for (int j = 0; p.sd && j < n * n; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < b; i++) m += (double)x[i * n * n + j] / b;
        for (int i = 0; i < b; i++) v += pow((double)x[i * n * n + j] - m, 2) / (b - 1);
        p.mean[j] = (fd_real)m, p.sd[j] = (fd_real)sqrt(v);
    }
    return p;
}

/* |x - y|/|y|; y NULL: |x| */
static double apart(int n, const fd_real *x, const fd_real *y)
{
    double d = 0, s = 0;
    for (int i = 0; i < n * n; i++)
        d += pow((double)x[i] - (y ? (double)y[i] : 0), 2), s += y ? pow((double)y[i], 2) : 0;
    return y ? sqrt(d / s) : sqrt(d / (n * n));
}

/* ---- Chains: inf-HMC, on finer grids with the solver of the coarsest one and a second test --- */

typedef struct { const ground *coarse; const double *y; } rough;

static double rough_value(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                          fd_arena a)
{
    const rough *r = self;
    const fd_space *c = &r->coarse->s;
    fd_real *u = fd_raw(&a, fd_real, c->points), *d = fd_raw(&a, fd_real, c->points);
    if (!d) return NAN;
    fd_resample(s, c, 1, x, u, a);
    double v = fd_obs_misfit(&r->coarse->o, r->y, u, g ? d : NULL, a);
    if (g) fd_resample(c, s, 1, d, g, a);
    return v;
}

static void features(const ground *g, const fd_real *x, double phi, double f[FEATURES], fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, g->s.modes);
    if (!u) return;
    fd_to_modes(&g->s, 1, x, u, a);
    for (int i = 0; i < 3; i++) f[i] = (double)x[(i + 1) * g->n / 4 * (g->n + 1)];
    for (int i = 0; i < 4; i++) f[3 + i] = (double)u[i / 2 * g->n + i % 2];
    f[7] = fd_inner(&g->s, x, x), f[8] = phi;
}

/* chain_run -- chain c on f: its moments, its KEEP draws, and FEATURES series [length]. c0 NULL: f
 * is the coarsest. */
static part chain_run(fd_arena *a, ground *f, const ground *c0, const double *y, const double *yc,
                      int c, int length, fd_real *draws, double *series)
{
    const int size = f->n * f->n, room = size * (int)sizeof(fd_real);
    rough r = { c0, yc };
    fd_mcmc how = { .prior = f->prior,
                    .phi = c0 ? (fd_potential){ rough_value, &r } : fd_obs_potential(a, &f->o, y),
                    .kind = FD_MCMC_HMC,
                    .h = .1,
                    .adapt = BURN };
    part p = { fd_new(a, fd_real, size), fd_new(a, fd_real, size), { 0 } };
    fd_arena own = *a;
    fd_chain *k = fd_chain_begin(&own, &how, fd_seed(1), c, NULL);
    fd_real *keep = fd_raw(&own, fd_real, 2 * size), *u = fd_raw(&own, fd_real, length);
    double *sum = fd_new(&own, double, 2 * size), phi = 0, begin = now();
    if (!sum) return p;
    fd_uniform(fd_stream(fd_seed(2), 'a', (uint32_t)c), length, u);
    for (int i = -BURN; i < length && !own.st->code; i++) {
        const double was = k->phi;
        k->how.leaps =
            8 + fd_index(fd_stream(fd_seed(3), 'l', (uint32_t)c), (uint64_t)(i + BURN), 33);
        if (i == 0) phi = c0 ? fd_obs_misfit(&f->o, y, k->u, NULL, own) : k->phi;
        memcpy(keep, k->u, (size_t)room), memcpy(keep + size, k->g, (size_t)room);
        fd_chain_step(k, own);
        if (i < 0) continue;
        const double next = c0 ? fd_obs_misfit(&f->o, y, k->u, NULL, own) : k->phi;
        if (!c0 || log((double)u[i]) < phi - next - was + k->phi)
            phi = next, p.v[3] += (fd_real)1 / length;
        else
            memcpy(k->u, keep, (size_t)room), memcpy(k->g, keep + size, (size_t)room), k->phi = was;
        double v[FEATURES] = { 0 };
        features(f, k->u, phi, v, own);
        for (int q = 0; q < FEATURES; q++) series[q * length + i] = v[q];
        for (int j = 0; j < size; j++)
            sum[j] += (double)k->u[j], sum[size + j] += pow((double)k->u[j], 2);
        for (int q = i * KEEP / length; q < (i + 1) * KEEP / length; q++)
            memcpy(draws + q * size, k->u, (size_t)room);
    }
    for (int j = 0; j < size; j++) {
        double m = sum[j] / length, v = sum[size + j] / length - m * m;
        p.mean[j] = (fd_real)m, p.sd[j] = (fd_real)sqrt(v > 0 ? v : 0);
    }
    p.v[0] = (fd_real)length, p.v[1] = (fd_real)(now() - begin), p.v[2] = (fd_real)f->solves;
    return p;
}

typedef struct { part p, half[2]; fd_real *draws; double rhat, ess, apart[2]; } reference;

/* join -- mean and deviation of several chains, from those of each. */
static part join(fd_arena *a, int n, int count, const part *c)
{
    part p = { fd_new(a, fd_real, n * n), fd_new(a, fd_real, n * n), { 0 } };
    for (int j = 0; p.sd && j < n * n; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < count; i++) m += (double)c[i].mean[j] / count;
        for (int i = 0; i < count; i++)
            v += (pow((double)c[i].sd[j], 2) + pow((double)c[i].mean[j] - m, 2)) / count;
        p.mean[j] = (fd_real)m, p.sd[j] = (fd_real)sqrt(v);
    }
    for (int i = 0; i < count; i++)
        for (int k = 0; k < 4; k++) p.v[k] += c[i].v[k] / (k == 3 ? (fd_real)count : 1);
    return p;
}

/* chain_make -- run chain i and keep it in its file. */
static void chain_make(fd_arena a, ground *f, const ground *c0, const double *y, const double *yc,
                       int i, const char *file)
{
    const int n = f->n, size = n * n;
    fd_real *draws = fd_new(&a, fd_real, KEEP * size), *series = fd_new(&a, fd_real, ALL);
    double *v = fd_new(&a, double, ALL);
    f->solves = 0;
    if (!v) return;
    part p = chain_run(&a, f, c0, y, yc, i, LENGTH, draws, v);
    for (int q = 0; q < ALL; q++) series[q] = (fd_real)v[q];
    fd_tensor t[5] = { { "mean", 2, { n, n }, p.mean, NULL },
                       { "sd", 2, { n, n }, p.sd, NULL },
                       { "v", 1, { 4 }, p.v, NULL },
                       { "draws", 2, { KEEP, size }, draws, NULL },
                       { "series", 2, { FEATURES, LENGTH }, series, NULL } };
    if (a.st->code) return;
    fd_tensors_save(a.st, file, &(fd_tensors){ .count = 5, .tensor = t });
    printf("chain %d of %dx%d: %.0f s, second test accepts %.2f\n", i, n, n, (double)p.v[1],
           (double)p.v[3]);
    fflush(stdout);
}

static reference reference_new(fd_arena *a, ground *f, const ground *c0, const double *y,
                               const double *yc)
{
    const int n = f->n, size = n * n;
    reference r = { .draws = fd_raw(a, fd_real, CHAINS * KEEP * size), .ess = INFINITY };
    double *all = fd_raw(a, double, CHAINS * ALL);
    part c[CHAINS];
    for (int i = 0; i < CHAINS && !a->st->code; i++) {
        struct stat is;
        const char *file = path("chain", n, i);
        if (stat(file, &is)) chain_make(*a, f, c0, y, yc, i, file);
        if (!part_load(a, file, n, &c[i])) return r;
        fd_tensors t = fd_tensors_load(a, file);
        const fd_tensor *d = fd_tensor_need(a->st, "darcy", &t, "draws"),
                        *s = fd_tensor_need(a->st, "darcy", &t, "series");
        if (!s || s->n[0] != FEATURES || s->n[1] != LENGTH || d->n[0] != KEEP) {
            fd_fail_name(a->st, FD_EDATA, "darcy", "a chain of another length: remove it", file);
            return r;
        }
        memcpy(r.draws + i * KEEP * size, d->x, (size_t)(KEEP * size) * sizeof *d->x);
        for (int q = 0; q < ALL; q++)
            all[(q / LENGTH * CHAINS + i) * LENGTH + q % LENGTH] = (double)s->x[q];
    }
    if (a->st->code) return r;
    for (int q = 0; q < FEATURES; q++) {
        r.rhat = fmax(r.rhat, fd_rhat(CHAINS, LENGTH, all + q * CHAINS * LENGTH, *a));
        r.ess = fmin(r.ess, fd_ess(CHAINS, LENGTH, all + q * CHAINS * LENGTH, *a));
    }
    r.p = join(a, n, CHAINS, c), r.half[0] = join(a, n, 2, c), r.half[1] = join(a, n, 2, c + 2);
    if (a->st->code) return r;
    r.apart[0] = apart(n, r.half[0].mean, r.half[1].mean) / 2;
    r.apart[1] = apart(n, r.half[0].sd, r.half[1].sd) / 2;
    printf("reference %dx%d: R-hat %.4f at most, %.0f effective samples at least, half the "
           "distance of its halves %.4f / %.4f, "
           "%.0f s, %.0f solutions on this grid\n",
           n, n, r.rhat, r.ess, r.apart[0], r.apart[1], (double)r.p.v[1], (double)r.p.v[2]);
    return r;
}

/* ---- What is linear of F, and networks ------------------------------------------------------- */

/* y - shift = A x + N(0, cov), rows of A as functions on the coarsest grid */
typedef struct { const fd_space *s; fd_real *phi; double shift[M], cov[M * M]; } linear;

static linear *linear_new(fd_arena *a, ground *g)
{
    enum { SLOPES = 100, PAIRS = 2000 };
    const int size = g->n * g->n;
    linear *l = fd_new(a, linear, 1);
    fd_real *phi = fd_new(a, fd_real, M * size);
    fd_arena own = *a;
    fd_real *x = fd_raw(&own, fd_real, size), *u = fd_raw(&own, fd_real, size);
    double *r = fd_raw(&own, double, PAIRS * M), e[M];
    if (!r) return NULL;
    l->s = &g->s, l->phi = phi;
    for (int i = 0; i < SLOPES; i++) {
        fd_cov_draw(g->prior, fd_seed(21), i, 1, x, own);
        for (int k = 0; k < M; k++) {
            memset(e, 0, sizeof e), e[k] = 1;
            fd_obs_adjoint(&g->o, 1, x, e, u, own);
            for (int j = 0; j < size; j++) phi[k * size + j] += u[j] / SLOPES;
        }
    }
    for (int i = 0; i < PAIRS; i++) {
        fd_cov_draw(g->prior, fd_seed(22), i, 1, x, own);
        apply(g, &g->s, 1, x, r + i * M, own);
        for (int k = 0; k < M; k++) {
            r[i * M + k] -= fd_inner(&g->s, phi + k * size, x);
            l->shift[k] += r[i * M + k] / PAIRS;
        }
    }
    for (int i = 0; i < PAIRS; i++)
        for (int k = 0; k < M * M; k++)
            l->cov[k] +=
                (r[i * M + k / M] - l->shift[k / M]) * (r[i * M + k % M] - l->shift[k % M]) / PAIRS;
    for (int k = 0; k < M; k++) l->cov[k * M + k] += NOISE * NOISE;
    return l;
}

/* all that a network needs on n x n points */
typedef struct {
    fd_space s;
    fd_cov *prior, *noise;
    fd_process p;
    fd_obs o;
    fd_condition how;
    fd_amortised *w;
} view;

static view *view_new(fd_arena *a, const linear *l, int kind, int n)
{
    view *v = fd_new(a, view, 1);
    fd_real *phi = fd_raw(a, fd_real, M * n * n);
    if (!phi) return NULL;
    v->s = fd_grid(a, 2, (int[]){ n, n }, NULL, free_ends, 1);
    fd_resample(l->s, &v->s, M, l->phi, phi, *a);
    v->prior = v->noise = fd_cov_matern(a, &v->s, .5, .3, 1.5);
    /* rougher than the prior, of finite trace, and as large: .92 a point on 128x128 */
    if (kind == MULTILEVEL) v->noise = fd_cov_bessel(a, &v->s, 9.35, 9, 1.5);
    v->p = fd_vp(v->noise, .1, 20);
    v->o = fd_obs_functions(a, &v->s, M, phi);
    fd_obs_noise_cov(a, &v->o, l->cov);
    v->how =
        (fd_condition){ .p = &v->p,
                        .base = kind == AMORTISED ? FD_BASE_GAUSS : FD_BASE_NONE,
                        .predicts = kind == MULTILEVEL ? FD_NOISE : FD_X0,
                        .c0 = v->prior,
                        .sees = FD_SEES_POSTERIOR + (kind == AMORTISED ? FD_SEES_DENOISED : 0) };
    v->w = fd_amortised_new(a, &v->how, &v->o);
    return v;
}

/* energy -- E|X - x| - E|X - X'|/2 in L2, for two draws of each function: its least value is at the
 * true law. */
static fd_var *energy(fd_tape *t, int b, int size, fd_var *y, const fd_real *want)
{
    fd_var *z = fd_sub(t, y, fd_input(t, 3, (int[]){ 2 * b, 1, size }, want));
    fd_var *w = fd_sub(t, fd_slice(t, y, 0, 0, b), fd_slice(t, y, 0, b, b));
    z = fd_sum_to(t, fd_map(t, z, FD_SQUARE), 3, (int[]){ 2 * b, 1, 1 });
    w = fd_sum_to(t, fd_map(t, w, FD_SQUARE), 3, (int[]){ b, 1, 1 });
    z = fd_sum_to(t, fd_map(t, fd_affine(t, z, 1. / size, 1e-9), FD_SQRT), 3, (int[]){ 1, 1, 1 });
    w = fd_sum_to(t, fd_map(t, fd_affine(t, w, 1. / size, 1e-9), FD_SQRT), 3, (int[]){ 1, 1, 1 });
    return fd_affine(t, fd_sub(t, z, w), .5 / b, 0);
}

/* learn -- one step from BATCH new pairs; returns the loss. */
static double learn(int kind, int step, ground *g, const linear *l, const view *v, fd_net *net,
                    fd_opt *opt, fd_arena a)
{
    const int size = (int)v->s.points, b = BATCH, all = kind == GANO ? 2 * b : b;
    const fd_rng r = fd_stream(fd_seed(31), 's', (uint32_t)step);
    fd_real *x = fd_raw(&a, fd_real, b * g->s.points), *x0 = fd_raw(&a, fd_real, all * size),
            *xt = fd_raw(&a, fd_real, all * size);
    fd_real *in = fd_raw(&a, fd_real, all * size * fd_amortised_inputs(&v->how)),
            *eps = fd_raw(&a, fd_real, all * size);
    fd_real *want = fd_raw(&a, fd_real, all * size);
    double y[2 * BATCH * M], t[2 * BATCH];
    fd_cov_draw(g->prior, r, 0, b, x, a);
    fd_obs_draw(&g->o, fd_stream(r, 'y', 0), 0, b, x, y, a);
    fd_resample(&g->s, &v->s, b, x, x0, a);
    if (a.st->code) return NAN;
    for (int i = 0; i < b * M; i++) y[i] -= l->shift[i % M];
    fd_draw_times(&v->p, FD_T_STRATIFIED, NULL, fd_stream(r, 't', 0), 0, b, t, a.st);
    if (kind == GANO) { /* two draws of each; x_t is noise alone */
        memcpy(y + b * M, y, (size_t)(b * M) * sizeof *y);
        memcpy(x0 + b * size, x0, (size_t)(b * size) * sizeof *x0);
        for (int i = 0; i < all; i++) t[i] = v->p.tmax;
        fd_cov_draw(v->noise, fd_stream(r, 'n', 0), 0, all, xt, a);
    } else fd_perturb(&v->p, fd_stream(r, 'n', 0), 0, b, x0, t, xt, eps, a);
    fd_amortised_pair(v->w, all, y, x0, eps, xt, t, in, want, NULL, a);
    fd_tape tape = fd_tape_begin(&a, FD_GRAD);
    fd_var *z = fd_forward(net, &tape, &v->s,
                           fd_input(&tape, 3, (int[]){ all, net->arch.in, size }, in), t);
    fd_var *loss =
        kind == GANO ? energy(&tape, b, size, z, want) : fd_mse_loss(&tape, &v->s, z, want, NULL);
    fd_backward(&tape, loss);
    fd_opt_step(opt, net, a.st);
    return loss && !a.st->code ? (double)loss->x[0] : NAN;
}

/* trained -- the network of a kind, on the coarsest grid; multilevel: before that on one half as
 * fine. */
static fd_net *trained(fd_arena *a, int kind, ground *g, const linear *l, double *seconds)
{
    static const int most[METHODS] = { [AMORTISED] = 600, [MULTILEVEL] = 1000, [GANO] = 500 };
    const int steps = (int)(most[kind] * scale), low = kind == MULTILEVEL ? steps / 2 : 0;
    const char *file = path(name[kind], g->n, -1);
    const view *v = view_new(a, l, kind, g->n), *half = low ? view_new(a, l, kind, g->n / 2) : v;
    struct stat is;
    fd_net *net = NULL;
    fd_opt *opt = NULL;
    if (a->st->code) return NULL;
    if (!stat(file, &is)) {
        fd_tensors f = fd_net_load(a, file, &net, &opt);
        const fd_tensor *s = fd_tensor_need(a->st, "darcy", &f, "seconds");
        if (s) *seconds = (double)s->x[0];
        if (!a->st->code && (!opt || opt->how.steps != steps))
            fd_fail_name(a->st, FD_EDATA, "darcy", "a network of other trainings: remove it", file);
    } else {
        const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 2, .in = fd_amortised_inputs(&v->how),
            .out = 1, .width = 20, .layers = 4, .coords = FD_COORD_OPEN,
            .time = kind == GANO ? FD_TIME_NONE : FD_TIME_FILM,
            .fno = { .modes = { 14, 14 }, .lift = -1, .proj = 64, .pad = { .125, .125 } } };
        fd_adam how = fd_adam_default(FD_ADAMW);
        how.lr = 2e-3, how.steps = steps, how.warmup = 100, how.clip = 1, how.ema = .998;
        net = fd_net_new(a, &arch, fd_seed(30)), opt = fd_opt_new(a, net, &how);
    }
    if (a->st->code) return NULL;
    double begin = now() - *seconds, mean = 0;
    for (int at = opt->step; at < steps && !a->st->code; at++) {
        mean += learn(kind, at, g, l, at < low ? half : v, net, opt, *a);
        if ((at + 1) % 250 && at + 1 < steps) continue;
        fd_real spent = (fd_real)(now() - begin);
        fd_tensor more = { "seconds", 1, { 1 }, &spent, NULL };
        fd_net_save(a->st, path(name[kind], g->n, -1), net, opt,
                    &(fd_tensors){ .count = 1, .tensor = &more }, *a);
        printf("%s: step %d, loss %.4f, %.0f s\n", name[kind], at + 1,
               mean / (at % 250 + 1), (double)spent);
        fflush(stdout);
        mean = 0, *seconds = (double)spent;
    }
    return a->st->code ? NULL : fd_net_with(a, net, opt->avg);
}

/* ---- Draws by each method -------------------------------------------------------------------- */

/* told -- b draws of a network on f's grid. */
static void told(fd_arena a, int kind, const ground *f, const linear *l, const fd_net *net,
                 const double *y, int b, fd_real *x)
{
    const view *v = view_new(&a, l, kind, f->n);
    double z[M], t[STEPS + 1];
    for (int i = 0; i < M; i++) z[i] = y[i] - l->shift[i];
    if (!v) return;
    const fd_model m = fd_amortised_model(&a, v->w, z, fd_net_raw(&a, net));
    fd_sampler how = {
        .p = &v->p, .model = m, .t = t, .steps = STEPS, .scheme = FD_PF_MULTISTEP, .denoise = 1
    };
    fd_times(&v->p, FD_LOGSNR, 0, STEPS, t, a.st);
    for (int k = 0; k < 8 && kind == GANO; k++) t[k] = v->p.tmax;
    for (int i = 0; i < b && !a.st->code; i += 8) {
        fd_arena own = a;
        fd_real *u = fd_raw(&own, fd_real, 8 * v->s.points), *to = x + i * v->s.points;
        if (!u) return;
        if (kind == GANO) fd_cov_draw(v->noise, fd_seed(41), i, 8, u, own);
        if (kind == GANO) m.eval(m.self, &v->s, 8, u, t, to, own);
        else fd_sample(&how, fd_seed(41), i, 8, to, own);
    }
}

/* guided -- b draws of the exact prior model, guided by the equation. */
static void guided(fd_arena a, int rule, double zeta, const ground *f, const double *y, int steps,
                   int b, fd_real *x)
{
    const fd_process p = fd_vp(f->prior, .1, 20);
    const fd_guide g = { .p = &p,
                         .model = fd_oracle_gauss(&a, &p, NULL, f->prior),
                         .o = &f->o,
                         .y = y,
                         .rule = rule,
                         .zeta = zeta };
    double *t = fd_raw(&a, double, steps + 1);
    fd_sampler how = { .p = &p,
                       .model = fd_guided(&a, &g),
                       .t = t,
                       .steps = steps,
                       .scheme = FD_ANCESTRAL,
                       .denoise = 1 };
    fd_times(&p, FD_LOGSNR, 0, steps, t, a.st);
    for (int i = 0; i < b && !a.st->code; i++)
        fd_sample(&how, fd_seed(42), i, 1, x + i * f->s.points, a);
}

/* split_gibbs -- b functions; the coupling falls from 1 to .05: z | x by one step of inf-HMC with
 * the prior N(x, rho^2 C), x | z by the diffusion model from the level rho on. */
static void split_gibbs(fd_arena a, const ground *f, const double *y, int b, fd_real *x)
{
    enum { SWEEPS = 40, FALL = 30, INNER = 6 };
    const int size = f->n * f->n;
    const fd_process p = fd_vp(f->prior, .1, 20);
    double t[INNER + 1], *lam = fd_raw(&a, double, f->s.modes);
    fd_sampler how = { .p = &p,
                       .model = fd_oracle_gauss(&a, &p, NULL, f->prior),
                       .t = t,
                       .steps = INNER,
                       .scheme = FD_ANCESTRAL_OPTIMAL,
                       .denoise = 1 };
    fd_real *z = fd_raw(&a, fd_real, size);
    if (!z) return;
    for (int i = 0; i < b && !a.st->code; i++) {
        fd_real *u = x + i * size;
        fd_cov_draw(f->prior, fd_seed(43), i, 1, u, a);
        memcpy(z, u, (size_t)size * sizeof *z);
        for (int k = 0; k < SWEEPS && !a.st->code; k++) {
            fd_arena own = a;
            fd_process low = p;
            fd_cov near = *f->prior;
            low.tmax = fd_time_at(&p, pow(.05, fmin(1, (double)k / FALL)));
            const fd_coef c = fd_law(&p, low.tmax, 0);
            const double rho2 = c.v / (c.m * c.m);
            fd_times(&low, FD_LOGSNR, 0, INNER, t, a.st);
            for (int j = 0; j < f->s.modes; j++) lam[j] = rho2 * f->prior->lam[j];
            near.lam = lam;
            const fd_mcmc mc = { .prior = &near,
                                 .mean = u,
                                 .phi = fd_obs_potential(&own, &f->o, y),
                                 .kind = FD_MCMC_HMC,
                                 .h = fmin(.5, .04 / sqrt(rho2)),
                                 .leaps = 6 };
            fd_chain *chain =
                fd_chain_begin(&own, &mc, fd_stream(fd_seed(44), 'k', (uint32_t)k), i, z);
            if (!chain) return;
            fd_chain_step(chain, own), fd_chain_get(chain, z);
            fd_run *run = fd_begin(&own, &how, fd_stream(fd_seed(45), 'k', (uint32_t)k), i, 1);
            if (!run) return;
            for (int j = 0; j < size; j++) run->x[j] = (fd_real)(c.m * (double)z[j]);
            while (fd_step(run, own)) { }
            memcpy(u, run->x, (size_t)size * sizeof *u);
        }
    }
}

typedef struct {
    ground *g[GRIDS];
    linear *l;
    const double *y;
    const fd_net *net[METHODS];
    reference ref[GRIDS];
    double zeta;
} task;

/* draw -- b functions by a method on grid k. */
static void draw(fd_arena a, task *q, int method, int k, int b, fd_real *x)
{
    ground *f = q->g[k];
    if (method == LINEAR) {
        const view *v = view_new(&a, q->l, LINEAR, f->n);
        double z[M];
        for (int i = 0; i < M; i++) z[i] = q->y[i] - q->l->shift[i];
        fd_posterior *p = v ? fd_posterior_new(&a, NULL, v->prior, &v->o, z) : NULL;
        if (p) fd_posterior_draw(p, fd_seed(46), 0, b, x, a);
    } else if (method == PIGDM) guided(a, FD_GUIDE_PIGDM, 1, f, q->y, 25, b, x);
    else if (method == DPS) guided(a, FD_GUIDE_DPS, q->zeta, f, q->y, 60, b, x);
    else if (method == SPLIT) split_gibbs(a, f, q->y, b, x);
    else if (method == ESMDA || method == PRIOR) {
        fd_cov_draw(f->prior, fd_seed(47), 0, b, x, a);
        for (int i = 0; i < 8 && method == ESMDA; i++)
            fd_esmda(&f->o, q->y, 8, fd_stream(fd_seed(48), 'e', (uint32_t)i), b, x, a);
    } else told(a, method, f, q->l, q->net[method], q->y, b, x);
}

/* part_of -- what a method makes on grid k, from its file or anew. */
static part part_of(fd_arena *a, task *q, int method, int k)
{
    static const int count[METHODS][GRIDS] = {
        [LINEAR] = { 256, 256, 256 }, [AMORTISED] = { 128, 64, 32 }, [MULTILEVEL] = { 128, 64, 32 },
        [GANO] = { 256, 128, 64 },    [SPLIT] = { 64, 32, 16 },      [PIGDM] = { 48, 24, 12 },
        [DPS] = { 128, 64, 32 },      [ESMDA] = { 400, 400, 400 },   [PRIOR] = { 256, 256, 256 }
    };
    ground *f = q->g[k];
    const int n = f->n, b = count[method][k];
    const char *file = path(name[method], n, 0);
    part p = { NULL, NULL, { 0 } };
    if (method == REFERENCE) return q->ref[k].p;
    if (method == EXACT) return moments(a, n, CHAINS * KEEP, q->ref[k].draws);
    if (a->st->code || part_load(a, file, n, &p)) return p;
    p = moments(a, n, 0, NULL);
    fd_arena own = *a;
    fd_real *x = fd_raw(&own, fd_real, (ptrdiff_t)b * n * n);
    const double begin = now();
    f->solves = 0;
    draw(own, q, method, k, b, x);
    if (a->st->code) return p;
    const part m = moments(&own, n, b, x);
    if (!m.sd || a->st->code) return p;
    memcpy(p.mean, m.mean, (size_t)(n * n) * sizeof *p.mean);
    memcpy(p.sd, m.sd, (size_t)(n * n) * sizeof *p.sd);
    p.v[0] = (fd_real)b, p.v[1] = (fd_real)(now() - begin), p.v[2] = (fd_real)f->solves;
    p.v[3] = (fd_real)(method == DPS ? q->zeta : 0);
    part_save(a->st, path(name[method], n, 0), n, &p);
    return p;
}

/* best_weight -- of DPS, at the coarsest grid, against the chains. */
static double best_weight(fd_arena a, task *q)
{
    enum { B = 32 };
    ground *f = q->g[0];
    double best = INFINITY, zeta = weight[0];
    fd_real *x = fd_raw(&a, fd_real, B * f->n * f->n);
    part p;
    if (part_load(&a, path(name[DPS], f->n, 0), f->n, &p)) return (double)p.v[3];
    for (int i = 0; i < (int)(sizeof weight / sizeof *weight) && !a.st->code; i++) {
        fd_status st = *a.st;
        fd_arena own = a;
        own.st = &st;
        guided(own, FD_GUIDE_DPS, weight[i], f, q->y, 60, B, x);
        if (st.code) { printf("dps %g: the state is not finite\n", weight[i]); continue; }
        p = moments(&own, f->n, B, x);
        double e[2] = { apart(f->n, p.mean, q->ref[0].p.mean), apart(f->n, p.sd, q->ref[0].p.sd) };
        printf("dps %g: %.3f / %.3f\n", weight[i], e[0], e[1]), fflush(stdout);
        if (e[0] + e[1] < best) best = e[0] + e[1], zeta = weight[i];
    }
    return zeta;
}

/* ---- The picture: the truth and the places, then a line for each method ---------------------- */

enum { TILE = 128, STEP = TILE + 6, LEFT = 122, TOP = 30, SHOWN = 9 };

/* tile -- n x n values in 40 shades, which keeps the file small. */
static void tile(const plot_canvas *c, int y, int x, int n, const fd_real *v, double lo, double hi,
                 int map)
{
    static fd_real u[TILE * TILE];
    for (int i = 0; i < n * n; i++)
        u[i] = (fd_real)(lo + (hi - lo) / 40 * (floor(40 * ((double)v[i] - lo) / (hi - lo)) + .5));
    plot_image(c, y, x, n, n, u, lo, hi, map, TILE / n);
}

static void picture(fd_arena a, part all[METHODS][GRIDS], fd_real *const truth[GRIDS])
{
    static const int row[SHOWN] = { REFERENCE, LINEAR, AMORTISED, MULTILEVEL, GANO,
                                    SPLIT,     PIGDM,  DPS,       ESMDA };
    static const unsigned char ink[3] = { 20, 20, 20 };
    const double most = 2, top = 1;
    const int right = LEFT + 2 * GRIDS * STEP + 12;
    double at[M][2];
    char text[64];
    plot_canvas c = plot_new(&a, TOP + (SHOWN + 1) * STEP + 30, right + 74);
    places(at);
    plot_text(&c, TOP + TILE / 2 - 8, 8, 2, "truth");
    for (int i = 0; i < 2 * GRIDS; i++) {
        const int k = i % GRIDS, n = side[k], x = LEFT + i * STEP + (i >= GRIDS ? 6 : 0);
        sprintf(text, i < GRIDS ? "mean, %d" : "sd, %d", n);
        if (i < GRIDS) tile(&c, TOP, x, n, truth[k], -most, most, FD_DIVERGING);
        for (int m = 0; m < M && i == 0; m++)
            plot_box(&c, TOP + (int)(at[m][0] * TILE) - 1, x + (int)(at[m][1] * TILE) - 1, 3, 3,
                     ink, 1);
        for (int r = 0; r < SHOWN; r++) {
            const part *p = &all[row[r]][k];
            const int y = TOP + 30 + (r + 1) * STEP;
            if (i < GRIDS) tile(&c, y, x, n, p->mean, -most, most, FD_DIVERGING);
            else tile(&c, y, x, n, p->sd, 0, top, FD_VIRIDIS);
        }
        plot_caption(&c, TOP + STEP + 8, x, TILE, 2, text);
        sprintf(text, "%dx%d", n, n);
        if (i < GRIDS) plot_caption(&c, 8, x, TILE, 2, text);
    }
    for (int r = 0; r < SHOWN; r++)
        plot_text(&c, TOP + 30 + (r + 1) * STEP + TILE / 2 - 8, 8, 2,
                  row[r] == REFERENCE ? "chains" : name[row[r]]);
    plot_text(&c, TOP + 30, LEFT + GRIDS * STEP + 12, 2, "the 36 places are dots on the truth");
    plot_text(&c, TOP + 52, LEFT + GRIDS * STEP + 12, 2, "x, the logarithm of the coefficient");
    plot_bar(&c, TOP + 30 + STEP, right, 2 * STEP, 14, -most, most, FD_DIVERGING);
    plot_text(&c, TOP + 30 + STEP - 22, right, 2, "mean");
    plot_bar(&c, TOP + 30 + 4 * STEP, right, 2 * STEP, 14, 0, top, FD_VIRIDIS);
    plot_text(&c, TOP + 30 + 4 * STEP - 22, right, 2, "sd");
    if (c.rgb) fd_png_save(a.st, "out/darcy.png", c.h, c.w, c.rgb);
}

/* table -- errors of mean and deviation against the chains, and what chance alone makes of them
 * with so many draws. */
static void table(fd_status *st, const task *q, part all[METHODS][GRIDS],
                  const double spent[METHODS])
{
    static char csv[8192] = "method,grid,draws,mean,deviation,chance of mean,chance of deviation,"
                            "seconds,solutions,training\n";
    printf("\n%-11s", "");
    for (int k = 0; k < GRIDS; k++) printf(" | %3d: mean / sd  (chance) draws    s", side[k]);
    for (int m = EXACT; m <= METHODS; m++) { /* last: the chains themselves */
        const char *what = m < METHODS ? name[m] : "chains";
        printf("\n%-11s", what);
        for (int k = 0; k < GRIDS; k++) {
            const part *r = &q->ref[k].p, *p = m < METHODS ? &all[m][k] : r;
            const double b = (double)p->v[0], n = m < METHODS ? b : q->ref[k].ess;
            double e[4] = { q->ref[k].apart[0], q->ref[k].apart[1], 0, sqrt(.5 / n) };
            e[2] = apart(side[k], r->sd, NULL) / apart(side[k], r->mean, NULL) / sqrt(n);
            if (m < METHODS) e[0] = apart(side[k], p->mean, r->mean);
            if (m < METHODS) e[1] = apart(side[k], p->sd, r->sd);
            printf(" | %.3f / %.3f (%.3f / %.3f) %5.0f %5.1f", e[0], e[1], e[2], e[3], b,
                   (double)p->v[1]);
            sprintf(csv + strlen(csv), "%s,%d,%.0f,%.4f,%.4f,%.4f,%.4f,%.1f,%.0f,%.0f\n", what,
                    side[k], b, e[0], e[1], e[2], e[3], (double)p->v[1], (double)p->v[2],
                    m < METHODS ? spent[m] : 0);
        }
    }
    printf("\n");
    fd_text_save(st, "out/darcy.csv", csv);
}

int main(int argc, char **argv)
{
    static part all[METHODS][GRIDS];
    size_t size = (size_t)3 << 30;
    void *mem = malloc(size);
    fd_status st;
    fd_arena a = fd_arena_over(mem, size, &st);
    double y[M], yc[GRIDS][M], F[M], G[M], spent[METHODS] = { 0 };
    task q = { .y = y };
    fd_real *truth[GRIDS];
    char why[200];
    scale = argc > 1 ? atof(argv[1]) : 1;
    if (!mem || !(scale >= .1 && scale <= 100))
        return fprintf(stderr, "darcy: needs 3 GB of memory, and SCALE from .1 to 100\n"), 2;
    mkdir("out", 0777), mkdir("out/darcy", 0777);
    for (int k = 0; k < GRIDS; k++) {
        q.g[k] = ground_new(&a, side[k]), truth[k] = fd_raw(&a, fd_real, side[k] * side[k]);
        if (truth[k]) fd_cov_draw(q.g[k]->prior, fd_seed(5), 0, 1, truth[k], a);
    }
    fd_arena own = a;
    ground *fine = ground_new(&own, 256);
    fd_real *x = fd_raw(&own, fd_real, 256 * 256);
    if (x)
        fd_cov_draw(fine->prior, fd_seed(5), 0, 1, x, own),
            fd_obs_draw(&fine->o, fd_seed(8), 0, 1, x, y, own);
    for (int k = 0; k < GRIDS && !st.code; k++) {
        const int n = side[k];
        memcpy(yc[k], y, sizeof y);
        if (k) { /* what the coarse solver lacks, at the mean of its chains */
            own = a;
            x = fd_raw(&own, fd_real, n * n);
            fd_resample(&q.g[0]->s, &q.g[k]->s, 1, q.ref[0].p.mean, x, own);
            apply(q.g[k], &q.g[k]->s, 1, x, F, own),
                apply(q.g[0], &q.g[0]->s, 1, q.ref[0].p.mean, G, own);
            for (int i = 0; i < M; i++) yc[k][i] -= F[i] - G[i];
        }
        q.ref[k] = reference_new(&a, q.g[k], k ? q.g[0] : NULL, y, yc[k]);
    }
    if (!st.code) q.l = linear_new(&a, q.g[0]), q.zeta = best_weight(a, &q);
    for (int m = AMORTISED; m <= GANO && !st.code; m++)
        q.net[m] = trained(&a, m, q.g[0], q.l, &spent[m]);
    for (int m = 0; m < METHODS; m++)
        for (int k = 0; k < GRIDS && !st.code; k++) {
            all[m][k] = part_of(&a, &q, m, k);
            if (m > EXACT && !st.code)
                printf("%s on %dx%d: %.3f / %.3f, %.0f s\n", name[m], side[k], side[k],
                       apart(side[k], all[m][k].mean, q.ref[k].p.mean),
                       apart(side[k], all[m][k].sd, q.ref[k].p.sd), (double)all[m][k].v[1]),
                    fflush(stdout);
        }
    if (!st.code) table(&st, &q, all, spent), picture(a, all, truth);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "darcy: %s\n", why), 1;
    printf("wrote out/darcy.png and out/darcy.csv\n");
    return 0;
}
