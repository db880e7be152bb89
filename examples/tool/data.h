/* data.h -- functions of the papers' problems, made here: what fd data does, for fd.c. Function i depends on the
 * seed and on i alone, and is the same function on every grid up to the solver's own error. */
#ifndef DATA_H
#define DATA_H
#include "operators.h"
#ifdef _OPENMP
#include <omp.h>
#endif

enum { DATA_DARCY, DATA_POISSON, DATA_FLOW, DATA_BURGERS, DATA_VOLCANO, DATA_OUTLINES, DATA_MIXTURE, DATA_WELL };
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
    { "volcano", "cos and sin of a radar's phase above a source; with them the phase of the ground alone", {
        { "air", "1", "deviation of the phase of the atmosphere", 0, 1e3 },
        { "lost", "0.1", "part of the points without coherence", 0, 1 } } },
    { "outlines", "signed distances of random outlines", {
        { "waves", "4", "of the radius", 1, 32 }, { "size", "0.25", "mean radius", 0.01, 0.5 } } },
    { "mixture", "smooth functions of two kinds", { { "apart", "1", "size of their means", 0, 1e9 } } },
    { "well", "paths of dX = -V' dt + dW, V = (x^2 - 1)^2, from -1", { { "time", "4", "how long", 1e-3, 40 } } } } };

typedef struct {
    const args *o;
    spec d;
    fd_space s;
    fd_cov *c, *other;                     /* of random fields */
    pde_flow flow;
    int steps;
} maker;

static inline maker maker_new(fd_arena *a, const args *o, const char *text)
{
    static const int bc[] = { FD_NEUMANN, FD_DIRICHLET, FD_PERIODIC, FD_PERIODIC, FD_NEUMANN, FD_NEUMANN, -1, FD_NEUMANN };
    static const int axes[] = { 2, 2, 2, 1, 2, 2, 0, 1 };
    maker m = { .o = o, .d = spec_read(&t_data, "data", text) };
    static const int fields[] = { 2, 0, 4, 3, -1, -1, -1, -1 };  /* the key alpha */
    const int what = m.d.row, field = fields[what];
    const char *name = t_data.rows[what].name;
    int way[3] = { bc[what], bc[what], bc[what] };
    if (!o->grid.nd) die(2, "data: needs --grid, as 64x64");
    if (axes[what] && o->grid.nd != axes[what]) die(2, "--grid: %s wants %s", name, axes[what] > 1 ? "a square grid, as 64x64" : "a line, as 64");
    if (axes[what] == 2 && o->grid.n[0] != o->grid.n[1]) die(2, "--grid: %s wants a square grid, as 64x64", name);
    if (bc[what] < 0) memcpy(way, o->bc, sizeof way);
    else if (is_given("boundary")) die(2, "--boundary: %s has its own", name);
    m.s = fd_grid(a, o->grid.nd, o->grid.n, NULL, way, what == DATA_VOLCANO ? 2 : 1);
    need(a->st);
    fd_space one = m.s;
    one.ch = 1;
    if (field >= 0) {                                      /* tau^(2 alpha - 2) (w^2 + tau^2)^-alpha, mean 0 */
        const double alpha = m.d.v[field], tau = m.d.v[field + 1];
        m.c = fd_cov_power(a, &one, pow(tau, 2 * alpha - 2), tau, alpha);
        need(a->st);
        if (what != DATA_POISSON) m.c->lam[0] = 0;
    } else if (what == DATA_VOLCANO) {
        m.c = fd_cov_power(a, &one, 1, 6, 1 + 1. / 3);       /* a slope of -8/3 */
        need(a->st);
        fd_space fixed = fd_grid(a, 2, (int[]){ 128, 128 }, NULL, way, 1);   /* one scale for all grids */
        const double var = fd_cov_trace(fd_cov_power(a, &fixed, 1, 6, 1 + 1. / 3));
        need(a->st);
        for (ptrdiff_t k = 0; k < one.modes; k++) m.c->lam[k] *= m.d.v[0] * m.d.v[0] / var;
    } else if (what == DATA_MIXTURE) {
        m.c = fd_cov_matern(a, &one, .1, .2, 2.5), m.other = fd_cov_matern(a, &one, .05, .3, 2.5);
    }
    if (what == DATA_FLOW || what == DATA_BURGERS) {
        double dt = 0;
        spec as = { &t_op, what == DATA_FLOW ? OP_FLOW : OP_BURGERS, { m.d.v[0], m.d.v[1], m.d.v[2] } };
        op_check("data", &as, &one, &dt);
        m.steps = m.d.v[1] > 0 ? (int)lround(m.d.v[1] / dt) : 0;
        fd_real *f = what == DATA_FLOW ? fd_raw(a, fd_real, one.points) : NULL;
        for (ptrdiff_t i = 0; f && i < one.points; i++) {
            double u = 2 * pde_pi * ((double)(i / one.n[0]) + (double)(i % one.n[0])) / one.n[0];
            f[i] = (fd_real)(m.d.v[3] * (sin(u) + cos(u)));
        }
        if (what == DATA_FLOW) m.flow = pde_flow_new(a, one.n[0], m.d.v[0], dt, m.d.v[3] > 0 ? f : NULL);
        else m.flow = (pde_flow){ .n = one.n[0], .nu = m.d.v[0], .dt = dt };
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

/* maker_one -- function i into x [ch][points], and what goes with it into y [points]. */
static inline void maker_one(const maker *m, int i, fd_real *x, fd_real *y, fd_arena a)
{
    const fd_space *s = &m->s;
    const ptrdiff_t n = s->points;
    const double *v = m->d.v;
    const fd_rng seed = fd_seed(m->o->seed), r = fd_stream(seed, 'd', (uint32_t)i);
    if (m->c && m->d.row != DATA_VOLCANO) fd_cov_draw(m->c, seed, i, 1, x, a);
    switch (m->d.row) {
    case DATA_DARCY: {
        double *k = fd_raw(&a, double, n), *f = fd_raw(&a, double, n), *p = fd_raw(&a, double, n);
        if (!p) return;
        for (ptrdiff_t j = 0; j < n; j++) {
            k[j] = v[0] > 0 ? exp((double)x[j]) : x[j] >= 0 ? 12 : 3, f[j] = 1;
            x[j] = (fd_real)k[j];
        }
        pde_darcy *d = pde_darcy_new(&a, s->n[0], 1 + (int)v[1], PDE_MULTIGRID, 1e-8, k);
        if (d) pde_darcy_solve(d, f, p, a);
        for (ptrdiff_t j = 0; j < n; j++) y[j] = (fd_real)p[j];
        break;
    }
    case DATA_POISSON: pde_helmholtz(s, v[2], 1, x, y, a); break;
    case DATA_FLOW: case DATA_BURGERS:
        memcpy(y, x, (size_t)n * sizeof *y);
        for (int k = 0; k < m->steps && !a.st->code; k++) {
            if (m->d.row == DATA_FLOW) pde_flow_step(&m->flow, x, a);
            else pde_burgers_step(&m->flow, x, NULL, a);
        }
        break;
    case DATA_VOLCANO: {                                   /* lengths in km; C band, 5.5466 cm */
        pde_mogi q = { maker_between(r, 0, 3, 9), maker_between(r, 1, 3, 9), maker_between(r, 2, 2, 8),
                       pow(10, maker_between(r, 3, 5.5, 7.5)) * 1e-9 };
        const double look = maker_between(r, 4, 30, 45) * pde_pi / 180;
        const double head = (maker_between(r, 5, 0, 1) < .5 ? -12 : 192) * pde_pi / 180;
        const double ramp[2] = { maker_between(r, 6, -1, 1), maker_between(r, 7, -1, 1) };
        fd_real *air = fd_raw(&a, fd_real, n);
        if (!air) return;
        fd_cov_draw(m->c, seed, i, 1, air, a);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double px = 12 * ((double)(j % s->n[1]) + .5) / s->n[1], py = 12 * ((double)(j / s->n[1]) + .5) / s->n[0];
            double phase = pde_mogi_phase(&q, px, py, 5.5466e-5, look, head);
            y[j] = (fd_real)phase;
            phase += (double)air[j] + ramp[0] * (px - 6) / 3 + ramp[1] * (py - 6) / 3;
            /* coherence is lost by places of the domain, the same ones on every grid up to their size */
            uint64_t spot = (uint64_t)(int)(px / 12 * 120) * 120 + (uint64_t)(int)(py / 12 * 120);
            if ((double)fd_index(fd_stream(r, 'l', 0), spot, 1000000) < 1e6 * v[1])
                phase = 2 * pde_pi * (double)fd_index(fd_stream(r, 'p', 0), spot, 1000000) / 1e6;
            x[j] = (fd_real)cos(phase), x[n + j] = (fd_real)sin(phase);
        }
        break;
    }
    case DATA_OUTLINES: {
        const int waves = (int)v[0];
        fd_real c[64];
        double *d = fd_raw(&a, double, n);
        unsigned char *in = fd_raw(&a, unsigned char, n);
        if (!in) return;
        fd_normal(fd_stream(r, 'o', 0), 2 * waves, c);
        const double cx = maker_between(r, 0, .4, .6), cy = maker_between(r, 1, .4, .6);
        for (ptrdiff_t j = 0; j < n; j++) {
            double px = ((double)(j % s->n[1]) + .5) / s->n[1] - cx, py = ((double)(j / s->n[1]) + .5) / s->n[0] - cy;
            double t = atan2(py, px), log_r = log(v[1]);
            for (int k = 0; k < waves; k++)
                log_r += .25 / (k + 1) * ((double)c[2 * k] * cos((k + 1) * t) + (double)c[2 * k + 1] * sin((k + 1) * t));
            in[j] = hypot(px, py) < exp(log_r);
        }
        /* a blob between the points of a coarse grid is its nearest one; one that fills it leaves a corner */
        in[(ptrdiff_t)(cy * s->n[0]) * s->n[1] + (ptrdiff_t)(cx * s->n[1])] = 1;
        in[0] = 0;
        pde_signed_distance(s->n[0], s->n[1], in, d, a);
        for (ptrdiff_t j = 0; j < n; j++) x[j] = (fd_real)d[j];
        break;
    }
    case DATA_MIXTURE: {
        const int kind = (int)fd_index(fd_stream(r, 'k', 0), 0, 2);
        if (kind) fd_cov_draw(m->other, seed, i, 1, x, a);
        for (ptrdiff_t j = 0; j < n; j++) {
            int at[3];
            fd_mode(s, j, at);                              /* points are numbered as modes are */
            double t = fd_coord(s, 0, at[0]);
            x[j] += (fd_real)(v[0] * (kind ? -.7 * cos(4 * pde_pi * t) : sin(2 * pde_pi * t)));
        }
        break;
    }
    case DATA_WELL: {                                      /* Heun's steps, as many on every grid */
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
        break;
    }
    }
}

static inline int do_data(args *o)
{
    enum { AT_MOST = 64 };
    static const int with[] = { 1, 1, 1, 1, 1, 0, 0, 0 };
    fd_status st, own[AT_MOST];
    fd_arena a = arena_make(o, &st), each[AT_MOST];
    if (!o->file) die(2, "data: which? fd help data lists them: fd data darcy -n 100 --grid 64x64 -o a.npy --obs p.npy");
    maker m = maker_new(&a, o, o->file);
    const fd_space *s = &m.s;
    const ptrdiff_t size = fd_size(s);
    if (o->obs && !with[m.d.row]) die(2, "--obs: nothing goes with %s", t_data.rows[m.d.row].name);
    fd_real *x = fd_raw(&a, fd_real, o->n * size), *y = fd_raw(&a, fd_real, o->n * s->points);
    need(&st);
    int threads = 1, done = 0;
#ifdef _OPENMP
    threads = omp_get_max_threads() < AT_MOST ? omp_get_max_threads() : AT_MOST;
#endif
    const size_t part = ((size_t)(a.end - a.beg) / (size_t)threads) & ~(size_t)63;
    for (int t = 0; t < threads; t++) each[t] = fd_arena_over(a.beg + (size_t)t * part, part, &own[t]);
    const double begin = now();
    for (int first = 0; first < o->n && !st.code; first += done) {     /* a few at a time, for the progress */
        done = o->n - first < 4 * threads ? o->n - first : 4 * threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(threads)
#endif
        for (int i = 0; i < done; i++) {
            int t = 0;
#ifdef _OPENMP
            t = omp_get_thread_num();
#endif
            if (!own[t].code) maker_one(&m, o->first + first + i, x + (first + i) * size, y + (first + i) * s->points, each[t]);
        }
        for (int t = 0; t < threads; t++) fd_fail_as(&st, &own[t]);
        const double spent = now() - begin, rate = (first + done) / fmax(spent, 1e-9);
        if (spent > 1) progress("sample", first + done, (double)(first + done) / o->n, -1, rate, (o->n - first - done) / rate);
    }
    bar_end();
    need(&st);
    printf("%d functions in %.1f s\n", o->n, now() - begin);
    functions_save(a, o->out, s, s->ch > 1 ? AXES_FIRST : AXES_NONE, o->n, x);
    if (o->obs) {
        fd_space one = *s;
        one.ch = 1;
        functions_save(a, o->obs, &one, AXES_NONE, o->n, y);
    }
    if (o->png) {
        double lo, hi;
        int b = o->n < 16 ? o->n : 16;
        range(b * size, x, &lo, &hi);
        sheet(&st, o->png, s, b, 0, x, lo, hi, o->map.row, a);
    }
    return finish();
}
#endif
