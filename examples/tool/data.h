/* data.h -- functions of the papers' problems, made here: what fd data does, for fd.c. Function i
 * depends on the seed and on i alone, and is the same function on every grid up to the solver's own
 * error. */
#ifndef DATA_H
#define DATA_H
#include "operators.h"
#include "plot.h"
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { DATA_DARCY, DATA_POISSON, DATA_FLOW, DATA_BURGERS, DATA_HEAT, DATA_BLUR, DATA_BUMPS,
       DATA_RADON, DATA_ALLEN_CAHN, DATA_VOLCANO, DATA_OUTLINES, DATA_FIELD, DATA_MIXTURE,
       DATA_LEVY, DATA_WELL };
#define OF_X { "alpha", "2", "of x, as of darcy", 1, 20 }, { "tau", "7", "", 1e-3, 1e3 }
static topic t_data = { "data", "functions that fd data makes; --obs: what goes with them", {
    { "darcy", "coefficients 12 where a random field is positive, else 3; with them the pressure", {
        { "law", "two|exp", "exp: exp of the field", 0, 0 },
        { "faces", "harmonic|arithmetic", "mean of the coefficient at a face", 0, 0 },
        { "alpha", "2", "of the field: tau^(2 alpha - 2) (w^2 + tau^2)^-alpha", 1, 20 },
        { "tau", "3", "", 1e-3, 1e3 } } },
    { "poisson", "sources; with them u of Laplacian u + k2 u = source, 0 on the boundary", {
        { "alpha", "2", "of the source, as of darcy", 1, 20 }, { "tau", "3", "", 1e-3, 1e3 },
        { "k2", "0", "square of the wave number", -1e9, 1e9 } } },
    { "flow", "vorticity of a forced flow after some time; with it that at the start", {
        { "nu", "1e-3", "viscosity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 },
        { "dt", "0.005", "a step", 1e-9, 1e9 },
        { "force", "0.1", "times sin and cos of 2 pi (x + y)", 0, 1e9 },
        { "alpha", "2.5", "of the start, as of darcy", 1, 20 }, { "tau", "7", "", 1e-3, 1e3 } } },
    { "burgers", "u of u_t + u u_x = nu u_xx after some time; with it u at the start", {
        { "nu", "0.01", "viscosity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 },
        { "dt", "0.001", "a step", 1e-9, 1e9 },
        { "alpha", "2.5", "of the start, as of darcy", 1, 20 }, { "tau", "7", "", 1e-3, 1e3 } } },
    { "heat", "periodic random fields x; with them x after u_t = nu Laplacian u", {
        { "nu", "0.01", "diffusivity", 0, 1e9 }, { "time", "0.1", "when", 0, 1e9 }, OF_X } },
    { "blur", "periodic random fields x; with them x under a Gaussian", {
        { "w", "0.05", "its width", 0, 10 }, OF_X } },
    { "bumps", "c (e^-s(x-l)^2 - e^-s(x-1+l)^2), 0 at both ends, l from .2 to .5, s from 75 to "
               "125, c from .9 to 1.1; with them what heat makes of it", {
        { "nu", "0.01", "diffusivity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 } } },
    { "radon", "ellipses of constant density; with them the sinogram, [views][detectors]", {
        { "angle", "90", "the views are the middles of equal parts of -angle to angle, degrees",
          1e-3, 90 },
        { "views", "30", "how many", 1, 1e4 },
        { "detectors", "40", "on -1.4 to 1.4, the square being -1 to 1", 1, 1e4 },
        { "most", "6", "ellipses of a function", 1, 100 } } },
    { "allen-cahn", "u of du = (nu Laplacian u + u - u^3) dt + dW after some time; with it u at "
                    "the start", {
        { "nu", "1e-3", "diffusivity", 0, 1e9 }, { "time", "4", "when", 0, 1e9 },
        { "dt", "0.02", "a step, below 1", 1e-9, 1 },
        { "noise", "0.3", "deviation of W at time 1", 0, 1e9 },
        { "l", "0.1", "its length, and that of the start", 1e-3, 1e3 } } },
    { "volcano", "cos and sin of a radar's phase above a source; with them the phase of the "
                 "ground alone", {
        { "air", "1", "deviation of the phase of the atmosphere", 0, 1e3 },
        { "lost", "0.1", "part of the points without coherence", 0, 1 } } },
    { "outlines", "signed distances of random outlines", {
        { "waves", "4", "of the radius", 1, 32 }, { "size", "0.25", "mean radius", 0.01, 0.5 } } },
    { "field", "random fields of the covariance --cov", { { 0 } } },
    { "mixture", "smooth functions of two kinds",
      { { "apart", "1", "size of their means", 0, 1e9 } } },
    { "levy", "paths of independent jumps at the ends of equal parts of the line, flat between "
              "them; x at 0 is N(0, s0^2)", {
        { "law", "laplace|student|bernoulli",
          "of a jump; bernoulli: 0, or with some chance laplace", 0, 0 },
        { "b", "0.2", "scale of a jump", 0, 1e9 },
        { "nu", "3", "degrees of freedom of student", 1e-3, 1e9 },
        { "chance", "0.1", "of bernoulli", 0, 1 }, { "s0", "1", "", 0, 1e9 },
        { "steps", "64", "how many parts: on as many points it is the prior of fd_levy_sweep", 1,
          1e6 } } },
    { "well", "paths of dX = -V' dt + dW, V = (x^2 - 1)^2, from -1",
      { { "time", "4", "how long", 1e-3, 40 } } } } };

/* what --obs says of each: 0 nothing, 1 at the points, 2 a sinogram; field: number of the key
 * alpha */
enum { ANY = -1, NOWHERE, AT_POINTS, SINOGRAM };
static const struct { int bc, axes, field, with; } data_kinds[] = {
    { FD_NEUMANN, 2, 2, AT_POINTS }, { FD_DIRICHLET, 2, 0, AT_POINTS },
    { FD_PERIODIC, 2, 4, AT_POINTS },
    { FD_PERIODIC, 1, 3, AT_POINTS }, { FD_PERIODIC, ANY, 2, AT_POINTS },
    { FD_PERIODIC, ANY, 1, AT_POINTS },
    { FD_DIRICHLET, 1, ANY, AT_POINTS }, { FD_NEUMANN, 2, ANY, SINOGRAM },
    { FD_NEUMANN, ANY, ANY, AT_POINTS },
    { FD_NEUMANN, 2, ANY, AT_POINTS }, { FD_NEUMANN, 2, ANY, NOWHERE }, { ANY, ANY, ANY, NOWHERE },
    { ANY, ANY, ANY, NOWHERE }, { FD_NEUMANN, 1, ANY, NOWHERE }, { FD_NEUMANN, 1, ANY, NOWHERE } };

typedef struct {
    const args *o;
    spec d;
    fd_space s;
    fd_cov *c, *other;                     /* of random fields; of the noise of a step */
    pde_flow flow;
    int steps;
    double dt, *mul, *push;                /* factors of modes; of what is added in a step */
    double *theta, *beam;
    ptrdiff_t seen;                        /* numbers that go with a function */
} maker;

/* maker_heat -- mul = e^-t mu of each mode; push: (1 - e^-t mu)/mu, and variances of noise over a
 * step. */
static inline void maker_heat(fd_arena *a, maker *m, const fd_space *s, double nu, double t)
{
    m->mul = fd_raw(a, double, s->modes), m->push = fd_raw(a, double, s->modes);
    if (!m->push) return;
    fd_laplace(s, m->mul, *a);
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        const double rate = nu * m->mul[k];
        m->mul[k] = exp(-rate * t), m->push[k] = rate > 0 ? -expm1(-rate * t) / rate : t;
        if (m->other) m->other->lam[k] *= rate > 0 ? -expm1(-2 * rate * t) / (2 * rate) : t;
    }
}

/* maker_space -- the grid, or an error that says which one it must be. */
static inline void maker_space(fd_arena *a, maker *m)
{
    const args *o = m->o;
    const int what = m->d.row, bc = data_kinds[what].bc, axes = data_kinds[what].axes;
    const char *name = t_data.rows[what].name;
    int way[3] = { bc, bc, bc };
    if (!o->grid.nd) die(2, "data: needs --grid, as 64x64");
    if (axes > 0 && o->grid.nd != axes)
        die(2, "--grid: %s wants %s", name, axes > 1 ? "a square grid, as 64x64" : "a line, as 64");
    if (axes == 2 && o->grid.n[0] != o->grid.n[1])
        die(2, "--grid: %s wants a square grid, as 64x64", name);
    if (bc == ANY) memcpy(way, o->bc, sizeof way);
    else if (is_given("boundary")) die(2, "--boundary: %s has its own", name);
    if (what != DATA_FIELD && is_given("cov")) die(2, "--cov: is of field, not of %s", name);
    m->s = fd_grid(a, o->grid.nd, o->grid.n, NULL, way, what == DATA_VOLCANO ? 2 : 1);
    need(a->st);
}

static inline void maker_fields(fd_arena *a, maker *m, const fd_space *one)
{
    const int what = m->d.row, field = data_kinds[what].field;
    const double *v = m->d.v;
    /* tau^(2 alpha - 2) (w^2 + tau^2)^-alpha, mean 0 */
    if (field >= 0) {
        m->c = fd_cov_power(a, one, pow(v[field + 1], 2 * v[field] - 2), v[field + 1], v[field]);
        need(a->st);
        if (what != DATA_POISSON) m->c->lam[0] = 0;
    } else if (what == DATA_VOLCANO) {
        m->c = fd_cov_power(a, one, 1, 6, 1 + 1. / 3);       /* a slope of -8/3 */
        need(a->st);
        /* one scale for all grids */
        fd_space fixed = fd_grid(a, 2, (int[]){ 128, 128 }, NULL, one->bc, 1);
        const double var = fd_cov_trace(fd_cov_power(a, &fixed, 1, 6, 1 + 1. / 3));
        need(a->st);
        for (ptrdiff_t k = 0; k < one->modes; k++) m->c->lam[k] *= v[0] * v[0] / var;
    } else if (what == DATA_MIXTURE) {
        m->c = fd_cov_matern(a, one, .1, .2, 2.5), m->other = fd_cov_matern(a, one, .05, .3, 2.5);
    } else if (what == DATA_ALLEN_CAHN) {
        m->c = fd_cov_matern(a, one, .25, v[4], 2.5),
            m->other = fd_cov_matern(a, one, v[3] * v[3], v[4], 2.5);
    } else if (what == DATA_FIELD) {
        m->c = cov_build(a, one, &m->o->cov, NULL, 0);
        spec_need(a->st, "cov");
    }
    need(a->st);
}

/* maker_stable -- does a step of allen-cahn bear the start? Where |u| is above sqrt(1 + 2/dt), dt
 * (u - u^3) throws it to the other side, farther out. */
static inline void maker_stable(const maker *m)
{
    const double dt = m->d.v[2], l = m->d.v[4], sd = sqrt(fd_cov_trace(m->c));
    if (3 * sd > sqrt(1 + 2 / dt))
        die(2, "data: allen-cahn: with l = %g the start has a deviation of %.3g, of which the "
               "cube is too much for steps of dt = %g: take a smaller l or a smaller dt", l, sd,
                   dt);
}

static inline maker maker_new(fd_arena *a, const args *o, const char *text)
{
    maker m = { .o = o, .d = spec_read(&t_data, "data", text) };
    const int what = m.d.row;
    const double *v = m.d.v;
    maker_space(a, &m);
    fd_space one = m.s;
    one.ch = 1;
    m.seen = one.points;
    maker_fields(a, &m, &one);
    if (what == DATA_POISSON) {
        double dt;
        op_check("data", &(spec){ &t_op, OP_POISSON, { v[2] } }, &one, &dt);
    } else if (what == DATA_FLOW || what == DATA_BURGERS) {
        double dt = 0;
        spec as = { &t_op, what == DATA_FLOW ? OP_FLOW : OP_BURGERS, { v[0], v[1], v[2] } };
        op_check("data", &as, &one, &dt);
        m.steps = v[1] > 0 ? (int)lround(v[1] / dt) : 0;
        fd_real *f = what == DATA_FLOW ? fd_raw(a, fd_real, one.points) : NULL;
        for (ptrdiff_t i = 0; f && i < one.points; i++) {
            double u = 2 * pde_pi * ((double)(i / one.n[0]) + (double)(i % one.n[0])) / one.n[0];
            f[i] = (fd_real)(v[3] * (sin(u) + cos(u)));
        }
        if (what == DATA_FLOW) m.flow = pde_flow_new(a, one.n[0], v[0], dt, v[3] > 0 ? f : NULL);
        else m.flow = (pde_flow){ .n = one.n[0], .nu = v[0], .dt = dt };
    } else if (what == DATA_ALLEN_CAHN) {
        if (v[1] / v[2] > 1e6)
            die(2, "data: allen-cahn: more than a million steps of dt to the time");
        maker_stable(&m);
        m.steps = (int)ceil(v[1] / v[2] - 1e-9), m.dt = v[1] / fmax(1, m.steps);
        maker_heat(a, &m, &one, v[0], m.dt);
    } else if (what == DATA_HEAT || what == DATA_BUMPS) maker_heat(a, &m, &one, v[0], v[1]);
    else if (what == DATA_BLUR) maker_heat(a, &m, &one, .5 * v[0] * v[0], 1);
    else if (what == DATA_RADON) {
        m.theta = fd_raw(a, double, (int)v[1]), m.beam = fd_raw(a, double, (int)v[2]);
        need(a->st);
        radon_beams(v[0], (int)v[1], (int)v[2], m.theta, m.beam);
        m.seen = (ptrdiff_t)v[1] * (int)v[2];
    }
    need(a->st);
    return m;
}

static inline double maker_between(fd_rng r, int k, double lo, double hi)
{
    fd_real u;
    fd_uniform(fd_stream(r, 'u', (uint32_t)k), 1, &u);
    return lo + (hi - lo) * (double)u;
}

/* y = the factors of modes times x; y may be x */
static inline void maker_times(const fd_space *s, const double *by, const fd_real *x, fd_real *y,
                               fd_arena a)
{
    fd_to_modes(s, 1, x, y, a);
    for (ptrdiff_t k = 0; k < s->modes; k++) y[k] = (fd_real)(by[k] * (double)y[k]);
    fd_from_modes(s, 1, y, y, a);
}

/* ellipses [N][N] on [-1, 1]^2, axes from .1 to .5, in the disc of radius .9 */
static inline void maker_ellipses(fd_rng r, int most, const fd_space *s, fd_real *x)
{
    const int many = 1 + (int)fd_index(fd_stream(r, 'k', 0), 0, most);
    memset(x, 0, (size_t)s->points * sizeof *x);
    for (int e = 0; e < many; e++) {
        const fd_rng own = fd_stream(r, 'e', (uint32_t)e);
        const double a = maker_between(own, 0, .1, .5), b = maker_between(own, 1, .1, .5),
            big = a > b ? a : b;
        const double far = (.9 - big) * sqrt(maker_between(own, 2, 0, 1)),
            way = maker_between(own, 3, 0, 2 * pde_pi);
        const double turn = maker_between(own, 4, 0, pde_pi),
            density = maker_between(own, 5, .2, 1);
        for (ptrdiff_t j = 0; j < s->points; j++) {
            const double px = 2 * fd_coord(s, 1, (int)(j % s->n[1])) - 1 - far * cos(way);
            const double py = 2 * fd_coord(s, 0, (int)(j / s->n[1])) - 1 - far * sin(way);
            const double u = (px * cos(turn) + py * sin(turn)) / a,
                w = (py * cos(turn) - px * sin(turn)) / b;
            if (u * u + w * w < 1) x[j] += (fd_real)density;
        }
    }
}

/* a path of jumps: steps of them, the value before the first at the first part */
static inline void maker_jumps(fd_rng r, const double *v, const fd_space *s, fd_real *x, fd_arena a)
{
    const int law = (int)v[0], steps = (int)v[5];
    fd_real *u = fd_raw(&a, fd_real, 3 * (ptrdiff_t)steps), start;
    double *path = fd_raw(&a, double, steps);
    if (!path) return;
    fd_normal(fd_stream(r, 's', 0), 1, &start);
    fd_uniform(fd_stream(r, 'j', 0), 3 * (ptrdiff_t)steps, u);
    path[0] = v[4] * (double)start;
    for (int k = 1; k < steps; k++) {
        const double p = (double)u[3 * k], q = (double)u[3 * k + 1], size = -log(1 - p);
        double jump = q < .5 ? -size : size;
        /* (Bailey 1994) */
        if (law == 1) jump = sqrt(v[2] * expm1(2 * size / v[2])) * cos(2 * pde_pi * q);
        if (law == 2 && (double)u[3 * k + 2] >= v[3]) jump = 0;
        path[k] = path[k - 1] + v[1] * jump;
    }
    for (int j = 0; j < s->n[0]; j++) x[j] = (fd_real)path[(int)((j + .5) / s->n[0] * steps)];
}

/* ---- One function of each kind: x [ch][points], and what goes with it, y [seen]. r: its own
 * stream; where the kind is of random fields, x is one already. ---- */

static inline void make_darcy(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                              fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    const double *v = m->d.v;
    (void)r, (void)i;
    double *k = fd_raw(&a, double, n), *f = fd_raw(&a, double, n), *p = fd_raw(&a, double, n);
    if (!p) return;
    for (ptrdiff_t j = 0; j < n; j++) {
        k[j] = v[0] > 0 ? exp((double)x[j]) : x[j] >= 0 ? 12 : 3, f[j] = 1;
        x[j] = (fd_real)k[j];
    }
    pde_darcy *d = pde_darcy_new(&a, s->n[0], 1 + (int)v[1], PDE_MULTIGRID, 1e-8, k);
    if (d) pde_darcy_solve(d, f, p, a);
    for (ptrdiff_t j = 0; j < n; j++) y[j] = (fd_real)p[j];
}

static inline void make_poisson(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                                fd_arena a)
{
    (void)r, (void)i;
    pde_helmholtz(&m->s, m->d.v[2], 1, x, y, a);
}

static inline void make_flow(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                             fd_arena a)
{
    (void)r, (void)i;
    memcpy(y, x, (size_t)m->s.points * sizeof *y);
    pde_flow_run(&m->flow, m->steps, x, a);
}

static inline void make_burgers(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                                fd_arena a)
{
    (void)r, (void)i;
    memcpy(y, x, (size_t)m->s.points * sizeof *y);
    for (int k = 0; k < m->steps && !a.st->code; k++) pde_burgers_step(&m->flow, x, NULL, a);
}

/* heat, blur */
static inline void make_smooth(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                               fd_arena a)
{
    (void)r, (void)i;
    maker_times(&m->s, m->mul, x, y, a);
}

static inline void make_bumps(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                              fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    (void)i;
    const double l = maker_between(r, 0, .2, .5), w = maker_between(r, 1, 75, 125),
        c = maker_between(r, 2, .9, 1.1);
    for (ptrdiff_t j = 0; j < n; j++) {
        const double t = fd_coord(s, 0, (int)j);
        x[j] = (fd_real)(c * (exp(-w * (t - l) * (t - l)) - exp(-w * (t - 1 + l) * (t - 1 + l))));
    }
    maker_times(s, m->mul, x, y, a);
}

static inline void make_radon(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                              fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    const double *v = m->d.v;
    (void)i;
    double *f = fd_raw(&a, double, n), *g = fd_raw(&a, double, m->seen);
    if (!g) return;
    maker_ellipses(r, (int)v[3], s, x);
    for (ptrdiff_t j = 0; j < n; j++) f[j] = (double)x[j];
    pde_radon(s->n[0], (int)v[1], m->theta, (int)v[2], m->beam, 0, f, g);
    for (ptrdiff_t j = 0; j < m->seen; j++) y[j] = (fd_real)g[j];
}

/* exponential Euler, noise exact in each step */
static inline void make_allen_cahn(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                                   fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    (void)r;
    fd_real *f = fd_raw(&a, fd_real, n), *z = fd_raw(&a, fd_real, n);
    if (!z) return;
    memcpy(y, x, (size_t)n * sizeof *y);
    for (int k = 0; k < m->steps && !a.st->code; k++) {
        for (ptrdiff_t j = 0; j < n; j++) f[j] = x[j] - x[j] * x[j] * x[j];
        fd_cov_draw(m->other, fd_stream(fd_seed(m->o->seed), 'a', (uint32_t)k), i, 1, z, a);
        maker_times(s, m->mul, x, x, a), maker_times(s, m->push, f, f, a);
        for (ptrdiff_t j = 0; j < n; j++) x[j] += f[j] + z[j];
    }
    for (ptrdiff_t j = 0; j < n; j++)
        if (!isfinite((double)x[j])) {
            FD_FAIL(a.st, FD_EDATA, "data",
                    "allen-cahn: the step is too long for this noise, take a smaller dt");
            return;
        }
}

/* lengths in km; C band, 5.5466 cm */
static inline void make_volcano(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                                fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    const double *v = m->d.v;
    pde_mogi q = { maker_between(r, 0, 3, 9), maker_between(r, 1, 3, 9), maker_between(r, 2, 2, 8),
                   pow(10, maker_between(r, 3, 5.5, 7.5)) * 1e-9 };
    const double look = maker_between(r, 4, 30, 45) * pde_pi / 180;
    const double head = (maker_between(r, 5, 0, 1) < .5 ? -12 : 192) * pde_pi / 180;
    const double ramp[2] = { maker_between(r, 6, -1, 1), maker_between(r, 7, -1, 1) };
    fd_real *air = fd_raw(&a, fd_real, n);
    if (!air) return;
    fd_cov_draw(m->c, fd_seed(m->o->seed), i, 1, air, a);
    for (ptrdiff_t j = 0; j < n; j++) {
        const double px = 12 * ((double)(j % s->n[1]) + .5) / s->n[1],
            py = 12 * ((double)(j / s->n[1]) + .5) / s->n[0];
        double phase = pde_mogi_phase(&q, px, py, pde_c_band, look, head);
        y[j] = (fd_real)phase;
        phase += (double)air[j] + ramp[0] * (px - 6) / 3 + ramp[1] * (py - 6) / 3;
        /* coherence is lost by places of the domain, the same ones on every grid up to their
         * size */
        uint64_t spot = (uint64_t)(int)(px / 12 * 120) * 120 + (uint64_t)(int)(py / 12 * 120);
        if ((double)fd_index(fd_stream(r, 'l', 0), spot, 1000000) < 1e6 * v[1])
            phase = 2 * pde_pi * (double)fd_index(fd_stream(r, 'p', 0), spot, 1000000) / 1e6;
        x[j] = (fd_real)cos(phase), x[n + j] = (fd_real)sin(phase);
    }
}

static inline void make_outlines(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                                 fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    const double *v = m->d.v;
    (void)i, (void)y;
    const int waves = (int)v[0];
    fd_real c[64];
    double *d = fd_raw(&a, double, n);
    unsigned char *in = fd_raw(&a, unsigned char, n);
    if (!in) return;
    fd_normal(fd_stream(r, 'o', 0), 2 * waves, c);
    const double cx = maker_between(r, 0, .4, .6), cy = maker_between(r, 1, .4, .6);
    for (ptrdiff_t j = 0; j < n; j++) {
        double px = ((double)(j % s->n[1]) + .5) / s->n[1] - cx,
            py = ((double)(j / s->n[1]) + .5) / s->n[0] - cy;
        double t = atan2(py, px), log_r = log(v[1]);
        for (int k = 0; k < waves; k++)
            log_r += .25 / (k + 1) * ((double)c[2 * k] * cos((k + 1) * t) + (double)c[2 * k + 1]
                                      * sin((k + 1) * t));
        in[j] = hypot(px, py) < exp(log_r);
    }
    /* a blob between the points of a coarse grid is its nearest one; one that fills it leaves a
     * corner */
    in[(ptrdiff_t)(cy * s->n[0]) * s->n[1] + (ptrdiff_t)(cx * s->n[1])] = 1;
    in[0] = 0;
    pde_signed_distance(s->n[0], s->n[1], in, d, a);
    for (ptrdiff_t j = 0; j < n; j++) x[j] = (fd_real)d[j];
}

static inline void make_mixture(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                                fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    const double *v = m->d.v;
    (void)y;
    const int kind = (int)fd_index(fd_stream(r, 'k', 0), 0, 2);
    if (kind) fd_cov_draw(m->other, fd_seed(m->o->seed), i, 1, x, a);
    for (ptrdiff_t j = 0; j < n; j++) {
        int at[3];
        fd_mode(s, j, at);                              /* points are numbered as modes are */
        double t = fd_coord(s, 0, at[0]);
        x[j] += (fd_real)(v[0] * (kind ? -.7 * cos(4 * pde_pi * t) : sin(2 * pde_pi * t)));
    }
}

static inline void make_levy(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                             fd_arena a)
{
    (void)i, (void)y;
    maker_jumps(r, m->d.v, &m->s, x, a);
}

/* Heun's steps, as many on every grid */
static inline void make_well(const maker *m, fd_rng r, int i, fd_real *x, fd_real *y,
                             fd_arena a)
{
    const fd_space *s = &m->s;
    const double *v = m->d.v;
    (void)i, (void)y;
    enum { FINE = 4096 };
    fd_real *z = fd_raw(&a, fd_real, FINE);
    double h = v[0] / FINE, at = -1, before = -1;
    if (!z) return;
    fd_normal(fd_stream(r, 'w', 0), FINE, z);
    for (int k = 0, j = 0; k < FINE; k++) {
        double w = sqrt(h) * (double)z[k], f = -4 * at * (at * at - 1), mid = at + h * f + w;
        before = at;
        at += .5 * h * (f - 4 * mid * (mid * mid - 1)) + w;
        for (; j < s->n[0] && (j + .5) / s->n[0] <= (k + 1.) / FINE; j++) {
            double part = (j + .5) / s->n[0] * FINE - k;
            x[j] = (fd_real)(before + part * (at - before));
        }
    }
}

/* maker_one -- function i; errors name it. */
static inline void maker_one(const maker *m, int i, fd_real *x, fd_real *y, fd_arena a)
{
    static void (*const make[])(const maker *, fd_rng, int, fd_real *, fd_real *, fd_arena) = {
        make_darcy, make_poisson, make_flow, make_burgers, make_smooth, make_smooth, make_bumps,
            make_radon,
        make_allen_cahn, make_volcano, make_outlines, NULL, make_mixture, make_levy, make_well };
    const fd_rng seed = fd_seed(m->o->seed);
    if (m->c && m->d.row != DATA_VOLCANO) fd_cov_draw(m->c, seed, i, 1, x, a);
    if (make[m->d.row]) make[m->d.row](m, fd_stream(seed, 'd', (uint32_t)i), i, x, y, a);
    const ptrdiff_t size = fd_size(&m->s), with = data_kinds[m->d.row].with ? m->seen : 0;
    for (ptrdiff_t j = 0; j < size + with && !a.st->code; j++)
        if (!isfinite((double)(j < size ? x[j] : y[j - size])))
            FD_FAIL(a.st, FD_EDATA, "data", "so a value is not finite");
    if (a.st->code && !a.st->name[0]) sprintf(a.st->name, "function %d", i);
}

/* ---- Files that grow: a run that was stopped goes on where it was -------------------------------
 *
 * FILE.part has what FILE will have, but for the header, in whose place a number says which run it
 * is of. */
typedef struct {
    const char *path;
    char part[1024], head[256];
    int size;
    ptrdiff_t each;
    FILE *f;
} growing;

/* the header of a .npy of n functions, with the axes of the array */
static inline int npy_head(char h[256], int n, int nd, const int *axis)
{
    int k = 10 + sprintf(h + 10, "{'descr': '<f%d', 'fortran_order': False, 'shape': (%d,",
                         (int)sizeof(fd_real), n);
    for (int i = 0; i < nd; i++) k += sprintf(h + k, " %d%s", axis[i], i < nd - 1 ? "," : "");
    k += sprintf(h + k, "), }");
    while (k % 64 != 63) h[k++] = ' ';
    h[k++] = '\n';
    memcpy(h, "\x93NUMPY\1\0", 8);
    h[8] = (char)((k - 10) & 255), h[9] = (char)((k - 10) >> 8);
    return k;
}

/* folder_of -- the folder that a file is in, or will be. */
static inline void folder_of(const char *path, char dir[1024])
{
    const char *p = strrchr(path, '/');
    snprintf(dir, 1024, "%.*s", p ? (int)(p - path) + 1 : 1, p ? path : ".");
}

/* same_place -- do two paths name one file, that there may not be yet? */
static inline int same_place(const char *a, const char *b)
{
    const char *p = strrchr(a, '/'), *q = strrchr(b, '/');
    char dir[2][1024];
    struct stat is[2];
    if (strcmp(p ? p + 1 : a, q ? q + 1 : b)) return 0;
    folder_of(a, dir[0]), folder_of(b, dir[1]);
    return !stat(dir[0], &is[0]) && !stat(dir[1], &is[1]) && is[0].st_dev == is[1].st_dev
        && is[0].st_ino == is[1].st_ino;
}

/* growing_apart -- neither file may be the other or its part. */
static inline void growing_apart(const char *out, const char *obs)
{
    char part[2][1032];
    snprintf(part[0], sizeof part[0], "%s.part", out);
    snprintf(part[1], sizeof part[1], "%s.part", obs);
    if (same_place(out, obs) || same_place(part[0], obs) || same_place(out, part[1]))
        die(2, "--obs: '%s': --out writes there", obs);
}

/* growing_fits -- is there room on the disk for files of so many bytes, of which parts may be there
 * already? obs: NULL, or the second file. Where much is to be written, it is said before hours of
 * work. */
static inline void growing_fits(const char *out, double bytes, const char *obs, double more)
{
    const char *path[2] = { out, obs };
    double left[2] = { bytes, more };
    struct statvfs disk[2];
    for (int i = 0; i < (obs ? 2 : 1); i++) {
        char dir[1024], part[1032];
        struct stat is;
        folder_of(path[i], dir), snprintf(part, sizeof part, "%s.part", path[i]);
        if (statvfs(dir, &disk[i])) return;                /* the system does not say */
        if (!stat(part, &is)) left[i] = fmax(0, left[i] - (double)is.st_size);
    }
    const int both = obs && disk[0].f_fsid == disk[1].f_fsid;
    for (int i = 0; i < (obs && !both ? 2 : 1); i++) {
        const double want = (left[i] + (both ? left[1] : 0)) / 1e6;
        const double room = (double)disk[i].f_bavail * (double)disk[i].f_frsize / 1e6;
        if (want > room)
            die(1, "%s: %s: %.0f MB are to be written, and there is room for %.0f: take fewer "
                   "functions, a coarser --grid, or another disk", i ? "--obs" : "--out", path[i],
                       want, room);
        if (want > 100)
            printf("%s: %.0f MB will be written, there is room for %.0f\n", path[i], want, room);
    }
    fflush(stdout);
}

/* growing_lock -- the part, to be read and written by this run alone until it is closed; it is made
 * where there is none. A run that ended in the meantime has renamed what was opened: then again. */
static inline FILE *growing_lock(const char *part)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat mine, there;
    for (;;) {
        const int fd = open(part, O_RDWR | O_CREAT, 0666);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "r+b");
        if (!f) die(1, "%s: cannot write: %s", part, strerror(errno));
        if (fcntl(fd, F_SETLK, &all) && (errno == EACCES || errno == EAGAIN))
            die(1, "%s: another run is writing it: wait for its end", part);
        if (!fstat(fd, &mine) && !stat(part, &there) && mine.st_dev == there.st_dev
            && mine.st_ino == there.st_ino) return f;
        fclose(f);
    }
}

/* growing_open -- how many functions it has; those of another run are not touched. */
static inline int growing_open(growing *g, const char *path, const char *run, int n, int nd,
                               const int *axis)
{
    char mark[64], was[64] = "";
    uint64_t sum = 14695981039346656037u;
    for (const char *c = run; *c; c++) sum = (sum ^ (unsigned char)*c) * 1099511628211u;
    memset(mark, 0, sizeof mark);
    sprintf(mark, "a part of a run of fd data %016" PRIx64 "\n", sum);
    if (snprintf(g->part, sizeof g->part, "%s.part", path) >= (int)sizeof g->part)
        die(2, "--out: %s: too long", path);
    g->path = path, g->size = npy_head(g->head, n, nd, axis), g->each = (ptrdiff_t)sizeof(fd_real);
    for (int i = 0; i < nd; i++) g->each *= axis[i];
    g->f = growing_lock(g->part);
    const size_t got = fread(was, 1, sizeof was, g->f);
    if (memcmp(was, mark, got))
        die(1, "%s: a part of a run with other settings: repeat that command, or remove the file",
            g->part);
    fseek(g->f, 0, SEEK_END);
    const long long have = ((long long)ftell(g->f) - g->size) / g->each;
    if (got == sizeof was && have >= 0) return (int)(have < n ? have : n);
    rewind(g->f);                                          /* new, or stopped while it began */
    fwrite(mark, 1, sizeof mark, g->f);
    for (int i = (int)sizeof mark; i < g->size; i++) fputc(0, g->f);
    if (fflush(g->f)) die(1, "%s: %s", g->part, strerror(errno));
    return 0;
}

static inline void growing_close(growing *g, int keep)
{
    if (!g->f) return;
    fclose(g->f), g->f = NULL;
    if (!keep) remove(g->part);
}

/* functions first to first + n - 1, in little-endian order */
static inline void growing_put(growing *g, int first, int n, const fd_real *x)
{
    const int one = 1, swap = !*(const char *)&one, w = (int)sizeof *x;
    const ptrdiff_t bytes = n * g->each;
    const unsigned char *c = (const unsigned char *)x;
    int wrong = fseek(g->f, (long)(g->size + first * g->each), SEEK_SET);
    if (!swap) wrong |= fwrite(c, 1, (size_t)bytes, g->f) != (size_t)bytes;
    for (ptrdiff_t i = 0; swap && i < bytes && !wrong; i++)
        wrong = fputc(c[i / w * w + w - 1 - i % w], g->f) == EOF;
    if (wrong || fflush(g->f)) die(1, "%s: %s", g->part, strerror(errno));
}

static inline void growing_end(growing *g)
{
    if (!g->f) return;
    int wrong = fseek(g->f, 0, SEEK_SET)
             || fwrite(g->head, 1, (size_t)g->size, g->f) != (size_t)g->size || fflush(g->f);
    if (!wrong && access(g->part, F_OK))
        die(1, "%s: is gone: another run has ended, or removed it", g->part);
    if (wrong || rename(g->part, g->path)) die(1, "%s: %s", g->path, strerror(errno));
    fclose(g->f);                                          /* the lock is held until here */
    g->f = NULL;
    wrote(g->path);
}

/* data_run -- what the numbers of a run depend on. */
static inline void data_run(const maker *m, char run[2048])
{
    const args *o = m->o;
    char text[512], cov[512];
    snprintf(run, 2048, "%s %s %d %dx%dx%d %d%d%d %d from %d seed %" PRIu64 " %d",
             spec_text(&m->d, text), m->d.row == DATA_FIELD ? spec_text(&o->cov, cov) : "",
             o->grid.nd, o->grid.n[0], o->grid.n[1], o->grid.n[2], m->s.bc[0], m->s.bc[1],
             m->s.bc[2], o->n, o->first, o->seed, (int)sizeof(fd_real));
}

/* data_png -- the first functions, made again. */
static inline void data_png(const maker *m, fd_arena a)
{
    const int b = m->o->n < 16 ? m->o->n : 16;
    const ptrdiff_t size = fd_size(&m->s);
    fd_real *x = fd_raw(&a, fd_real, b * size), *y = fd_raw(&a, fd_real, m->seen);
    double lo, hi;
    need(a.st);
    for (int i = 0; i < b; i++) maker_one(m, m->o->first + i, x + i * size, y, a);
    need(a.st);
    range(b * size, x, &lo, &hi);
    sheet(a.st, m->o->png, &m->s, b, 0, x, lo, hi, m->o->map.row, a);
}

/* A run: what it writes, and each thread's memory. */
typedef struct {
    const args *o;
    const maker *m;
    int threads, block;                    /* functions that are made between two writes */
    fd_real *x, *y;                        /* [block][..] */
    fd_arena *each;
    growing to, also;
} making;

/* making_open -- the files; returns how many functions there are already. */
static inline int making_open(making *j)
{
    const args *o = j->o;
    const fd_space *s = &j->m->s;
    const int sinogram = data_kinds[j->m->d.row].with == SINOGRAM;
    const double *v = j->m->d.v, bytes = (double)sizeof(fd_real) * o->n;
    int axis[4] = { s->ch }, more = s->ch > 1, sino[2] = { (int)v[1], (int)v[2] };
    char run[2048];
    for (int i = 0; i < s->nd; i++) axis[more + i] = s->n[i];
    data_run(j->m, run);
    if (o->obs) growing_apart(o->out, o->obs);
    growing_fits(o->out, bytes * (double)fd_size(s), o->obs, bytes * (double)j->m->seen);
    int from = growing_open(&j->to, o->out, run, o->n, more + s->nd, axis);
    if (!o->obs) return from;
    const int have = growing_open(&j->also, o->obs, run, o->n, sinogram ? 2 : s->nd,
                                  sinogram ? sino : axis + more);
    return have < from ? have : from;
}

/* making_some -- functions first to first + n - 1 of the run; the first one that failed is in
 * st. */
static inline void making_some(const making *j, int first, int n, fd_status *st)
{
    const ptrdiff_t size = fd_size(&j->m->s);
    int wrong = n, of = -1;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(j->threads)
#endif
    for (int i = 0; i < n; i++) {
        int t = 0;
#ifdef _OPENMP
        t = omp_get_thread_num();
#endif
        const fd_arena own = j->each[t];
        if (own.st->code) continue;
        maker_one(j->m, j->o->first + first + i, j->x + i * size, j->y + i * j->m->seen, own);
        if (!own.st->code) continue;
#ifdef _OPENMP
#pragma omp critical
#endif
        if (i < wrong) wrong = i, of = t;
    }
    if (of >= 0) fd_fail_as(st, j->each[of].st);
}

/* making_stopped -- where only memory is missing, what there is stays; else it would fail again. */
static inline void making_stopped(making *j, int done, const fd_status *st)
{
    const int keep = st->code == FD_ENOMEM && done > 0;
    growing_close(&j->to, keep), growing_close(&j->also, keep);
    if (keep)
        printf("%d function%s kept for a run with more memory: %s.part\n", done,
               done > 1 ? "s are" : " is", j->o->out);
    need(st);
}

static inline int do_data(args *o)
{
    enum { AT_MOST = 64 };
    fd_status st, own[AT_MOST];
    fd_arena a = arena_make(o, &st), each[AT_MOST];
    if (!o->file)
        die(2, "data: which? fd help data lists them: fd data darcy -n 100 --grid 64x64 -o a.npy "
               "--obs p.npy");
    maker m = maker_new(&a, o, o->file);
    if (o->obs && !data_kinds[m.d.row].with)
        die(2, "--obs: nothing goes with %s", t_data.rows[m.d.row].name);
    making j = { .o = o, .m = &m, .threads = 1, .each = each };
#ifdef _OPENMP
    j.threads = omp_get_max_threads() < AT_MOST ? omp_get_max_threads() : AT_MOST;
#endif
    j.block = 4 * j.threads < o->n ? 4 * j.threads : o->n;
    j.x = fd_raw(&a, fd_real, j.block * fd_size(&m.s)), j.y = fd_raw(&a, fd_real, j.block * m.seen);
    need(&st);
    const size_t part = ((size_t)(a.end - a.beg) / (size_t)j.threads) & ~(size_t)63;
    for (int t = 0; t < j.threads; t++)
        each[t] = fd_arena_over(a.beg + (size_t)t * part, part, &own[t]);
    const int from = making_open(&j);
    if (from) printf("%d function%s there already\n", from, from > 1 ? "s are" : " is");
    const double begin = now();
    for (int first = from, done; first < o->n; first += done) {            /* a few at a time */
        done = o->n - first < j.block ? o->n - first : j.block;
        making_some(&j, first, done, &st);
        if (st.code) making_stopped(&j, first, &st);
        growing_put(&j.to, first, done, j.x);
        if (o->obs) growing_put(&j.also, first, done, j.y);
        const double spent = now() - begin, rate = (first + done - from) / fmax(spent, 1e-9);
        if (spent > 1)
            progress("sample", first + done, (double)(first + done) / o->n, -1, rate,
                     (o->n - first - done) / rate);
    }
    bar_end();
    printf("%d function%s in %.1f s\n", o->n, o->n > 1 ? "s" : "", now() - begin);
    growing_end(&j.also), growing_end(&j.to);
    if (o->png) data_png(&m, a);
    return finish();
}
#endif
