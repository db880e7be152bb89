/* operators.h -- what --op of fd posterior and fd calibrate puts between a function and its
 * observation: the solution of an equation whose coefficient, source or initial state is the
 * function, its image under a blur, a phase, or its sinogram. */
#ifndef OPERATORS_H
#define OPERATORS_H
#include "common.h"
#include "../pde.h"

/* in the order of t_op: linear from OP_POISSON to OP_MOGI, in time from OP_FLOW on */
enum { OP_DARCY, OP_POISSON, OP_HEAT, OP_BLUR, OP_RADON, OP_MOGI, OP_PHASE, OP_FLOW, OP_BURGERS };
enum { OP_VIEWS = 30 };                    /* of radon, where nothing says it */
#define WRAPPED { "wrapped", "no|yes", "yes: cos and sin of it are seen, with --noise each", 0, 0 }
static topic t_op = { "op", "what stands between the function x and what is observed", {
    { "darcy", "p of -div(exp(x) grad p) = 1 on the unit square, p = 0 on its boundary", {
        { "faces", "harmonic|arithmetic", "mean of the coefficient at a face", 0, 0 } } },
    { "poisson", "u of Laplacian u + k2 u = x, u = 0 on the boundary", {
        { "k2", "0", "square of the wave number", -1e9, 1e9 } } },
    { "heat", "x after the heat equation u_t = nu Laplacian u", {
        { "nu", "0.01", "diffusivity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 } } },
    { "blur", "x under a Gaussian", { { "w", "0.05", "its width", 0, 10 } } },
    { "radon", "integrals of x, a square of side 2, along parallel lines; --obs: the sinogram, "
               ".npy [views][detectors]", {
        { "angle", "90", "the views are the middles of equal parts of -angle to angle, degrees",
          1e-3, 90 },
        { "views", "auto", "auto: as in --obs, else 30", 1, 1e4 },
        { "detectors", "auto", "on -1.4 to 1.4; auto: as in --obs, else one for each column", 1,
          1e4 } } },
    { "mogi", "a radar's phase above a sheet in the ground that opens by x centimetres, in radians",
      {
        { "depth", "4", "of the sheet, km", 1e-3, 1e3 },
        { "side", "12", "of the square, km", 1e-3, 1e4 },
        { "incidence", "38", "of the radar, degrees", 0, 90 },
        { "heading", "-12", "of its flight, degrees clockwise from north", -360, 360 }, WRAPPED } },
    { "phase", "a phase x of which cos and sin are seen: give it wrapped in --obs; --noise of each",
      { { 0 } } },
    { "flow", "vorticity after some time, x at the start; periodic", {
        { "nu", "1e-3", "viscosity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 },
        { "dt", "0.01", "a step", 1e-9, 1e9 } } },
    { "burgers", "u of u_t + u u_x = nu u_xx after some time, x at the start; periodic", {
        { "nu", "0.01", "viscosity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 },
        { "dt", "0.005", "a step", 1e-9, 1e9 } } } } };

typedef struct {
    spec op;
    fd_obs seen;                           /* of the solution, without noise */
    /* x in the model's units = scale x + shift in those of files */
    double scale, shift;
    pde_flow flow;
    int steps;
    double *mul;                           /* heat, blur: factors of modes */
    double *kernel;                        /* mogi: [2 rows - 1][2 columns - 1] */
    int views, detectors, wrapped, linear;
    double *theta, *s;                     /* radon */
    /* 1: once; what fails then is a bad function, not a bad --op */
    int solved;
} op_through;

/* op_check -- does the equation fit the grid? */
static inline void op_check(const char *flag, const spec *op, const fd_space *s, double *rate)
{
    static const int bc[] = { FD_NEUMANN, FD_DIRICHLET, -1, -1, FD_NEUMANN, FD_NEUMANN, -1,
                              FD_PERIODIC, FD_PERIODIC };
    const char *name = t_op.rows[op->row].name;
    const int square = op->row == OP_DARCY || op->row == OP_FLOW || op->row == OP_RADON
        || op->row == OP_MOGI;
    if (s->ch > 1) die(2, "%s: %s is of functions of one channel", flag, name);
    if (square && (s->nd != 2 || s->n[0] != s->n[1]))
        die(2, "%s: %s wants a square grid, as 32x32", flag, name);
    if (op->row == OP_BURGERS && s->nd != 1) die(2, "%s: burgers wants a line, as --grid 64", flag);
    for (int i = 0; i < s->nd; i++)
        if (bc[op->row] >= 0 && s->bc[i] != bc[op->row])
            die(2, "%s: %s wants --boundary %s", flag, name, t_boundary.rows[bc[op->row]].name);
    if (op->row == OP_POISSON && pde_resonance(s, op->v[0], 1e-6) >= 0)
        die(2, "%s: %s: k2 = %.10g is an eigenvalue of the Laplacian on this grid: there is no "
               "solution", flag, name, op->v[0]);
    if (op->row < OP_FLOW) return;
    double n = op->v[1] / op->v[2];
    if (n > 1e6) die(2, "%s: %s: more than a million steps of dt to the time", flag, name);
    *rate = op->v[1] / fmax(1, ceil(n - 1e-9));
}

/* u = what x does to the ground by the kernel, or the transpose; u may be x */
static inline void op_sheet(const op_through *o, const fd_space *s, int back, const fd_real *x,
                            fd_real *u, fd_arena a)
{
    const int n = s->n[0], m = s->n[1], w = 2 * m - 1;
    double *sum = fd_new(&a, double, n * m);
    if (!sum) return;
    for (int i = 0; i < n * n; i++) {                        /* row by row */
        const int from = i % n, to = i / n, way = back ? from - to : to - from;
        for (int j = 0; j < m; j++) {
            const double v = (double)x[from * m + j];
            const double *k = o->kernel + (way + n - 1) * w + m - 1 + (back ? j : -j);
            for (int l = 0; l < m; l++) sum[to * m + l] += v * k[back ? -l : l];
        }
    }
    for (int i = 0; i < n * m; i++) u[i] = (fd_real)sum[i];
}

/* op_solve -- the solution u of one function x in the units of files. */
static inline void op_solve(const op_through *o, const fd_space *s, const fd_real *x, fd_real *u,
                            fd_arena a)
{
    const ptrdiff_t size = s->points;
    if (o->op.row == OP_DARCY) {
        double *k = fd_raw(&a, double, size), *f = fd_raw(&a, double, size),
            *p = fd_raw(&a, double, size);
        for (ptrdiff_t i = 0; p && i < size; i++) k[i] = exp((double)x[i]), f[i] = 1;
        if (!p) return;
        pde_darcy *d = pde_darcy_new(&a, s->n[0], 1 + (int)o->op.v[0], PDE_MULTIGRID, 1e-10, k);
        if (d) pde_darcy_solve(d, f, p, a);
        for (ptrdiff_t i = 0; i < size; i++) u[i] = (fd_real)p[i];
    } else if (o->op.row == OP_POISSON) {
        pde_helmholtz(s, o->op.v[0], 1, x, u, a);
    } else if (o->op.row == OP_MOGI) {
        op_sheet(o, s, 0, x, u, a);
    } else if (o->mul) {
        fd_to_modes(s, 1, x, u, a);
        for (ptrdiff_t k = 0; k < size; k++) u[k] = (fd_real)(o->mul[k] * (double)u[k]);
        fd_from_modes(s, 1, u, u, a);
    } else {                                                 /* phase: no step */
        if (u != x) memcpy(u, x, (size_t)size * sizeof *u);
        if (o->op.row == OP_FLOW) pde_flow_run(&o->flow, o->steps, u, a);
        else for (int k = 0; k < o->steps && !a.st->code; k++)
            pde_burgers_step(&o->flow, u, NULL, a);
    }
}

/* op_back -- g = (du/dx)^T g at x. */
static inline void op_back(const op_through *o, const fd_space *s, const fd_real *x, fd_real *g,
                           fd_arena a)
{
    const ptrdiff_t size = s->points;
    if (o->op.row == OP_DARCY) {
        const int faces = 1 + (int)o->op.v[0];
        double *k = fd_raw(&a, double, size), *f = fd_raw(&a, double, size),
            *p = fd_raw(&a, double, size);
        double *q = fd_raw(&a, double, size), *dk = fd_raw(&a, double, size);
        if (!dk) return;
        for (ptrdiff_t i = 0; i < size; i++) k[i] = exp((double)x[i]), f[i] = 1;
        pde_darcy *d = pde_darcy_new(&a, s->n[0], faces, PDE_MULTIGRID, 1e-10, k);
        if (!d) return;
        pde_darcy_solve(d, f, p, a);
        for (ptrdiff_t i = 0; i < size; i++) f[i] = (double)g[i] * (double)size;
        pde_darcy_solve(d, f, q, a);
        pde_darcy_gradient(d, faces, k, p, q, dk);
        for (ptrdiff_t i = 0; i < size; i++) g[i] = (fd_real)(dk[i] * k[i]);
    } else if (o->op.row == OP_MOGI) {
        op_sheet(o, s, 1, g, g, a);
    } else if (o->op.row < OP_FLOW) {
        op_solve(o, s, g, g, a);                             /* symmetric */
    } else if (o->op.row == OP_FLOW) {
        pde_flow_pull(&o->flow, o->steps, x, g, a);
    } else if (o->op.row == OP_BURGERS) {
        fd_real *u = fd_raw(&a, fd_real, size);
        if (!u) return;
        memcpy(u, x, (size_t)size * sizeof *u);
        pde_pull(&o->flow, o->steps, size, u, g, pde_burgers_step, a);
    }
}

/* A function whose equation cannot be solved, as a wild proposal of a chain, gives values that are
 * no numbers, which chains reject; where not even the first one can, it is an error. */
static inline void op_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                            fd_arena a)
{
    op_through *o = (op_through *)(uintptr_t)self;
    const ptrdiff_t size = s->points;
    fd_real *u = fd_raw(&a, fd_real, b * size), *v = fd_raw(&a, fd_real, size);
    for (int i = 0; v && i < b && !a.st->code; i++) {
        fd_status own = *a.st;
        fd_arena room = a;
        room.st = &own;
        for (ptrdiff_t j = 0; j < size; j++)
            v[j] = (fd_real)(((double)x[i * size + j] - o->shift) / o->scale);
        op_solve(o, s, v, u + i * size, room);
        if (own.low < a.st->low) a.st->low = own.low;
        if (own.code && (!o->solved || own.code == FD_ENOMEM)) fd_fail_as(a.st, &own);
        else if (own.code) for (ptrdiff_t j = 0; j < size; j++) u[i * size + j] = (fd_real)NAN;
        else o->solved = 1;
    }
    if (a.st->code) return;
    if (!o->wrapped) { o->seen.apply(o->seen.self, s, b, u, y, a); return; }
    double *p = fd_raw(&a, double, (ptrdiff_t)b * o->seen.m);
    if (!p) return;
    o->seen.apply(o->seen.self, s, b, u, p, a);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * o->seen.m; i++)
        y[2 * i] = cos(p[i]), y[2 * i + 1] = sin(p[i]);
}

/* op_phase -- w [b][m] = the transpose of the derivative of cos and sin of what is seen at x, times
 * w [b][2 m]. */
static inline const double *op_phase(const op_through *o, const fd_space *s, int b,
                                     const fd_real *x, const double *w, fd_arena *a)
{
    const ptrdiff_t m = (ptrdiff_t)b * o->seen.m;
    double *p = fd_raw(a, double, 2 * m), *v = fd_raw(a, double, m);
    if (!v) return NULL;
    op_apply(o, s, b, x, p, *a);
    for (ptrdiff_t i = 0; i < m; i++) v[i] = w[2 * i + 1] * p[2 * i] - w[2 * i] * p[2 * i + 1];
    return v;
}

static inline void op_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                                const double *w, fd_real *g, fd_arena a)
{
    const op_through *o = self;
    const ptrdiff_t size = s->points;
    fd_real *u = fd_new(&a, fd_real, size);
    if (!u) return;
    if (o->wrapped) w = op_phase(o, s, b, x, w, &a);
    if (!w) return;
    o->seen.transpose(o->seen.self, s, b, NULL, w, g, a);
    for (int i = 0; i < b && !a.st->code; i++) {
        for (ptrdiff_t j = 0; x && j < size; j++)
            u[j] = (fd_real)(((double)x[i * size + j] - o->shift) / o->scale);
        fd_status own = *a.st;
        fd_arena room = a;
        room.st = &own;
        op_back(o, s, u, g + i * size, room);
        if (own.low < a.st->low) a.st->low = own.low;
        if (own.code == FD_ENOMEM) fd_fail_as(a.st, &own);
        for (ptrdiff_t j = 0; j < size; j++)
            g[i * size + j] = own.code ? (fd_real)NAN : g[i * size + j] / (fd_real)o->scale;
    }
}

/* the sinograms of b functions, and its transpose */
static inline void op_scan(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                           fd_arena a)
{
    const op_through *o = self;
    const ptrdiff_t size = s->points, m = (ptrdiff_t)o->views * o->detectors;
    double *f = fd_raw(&a, double, size);
    for (int i = 0; f && i < b; i++) {
        for (ptrdiff_t j = 0; j < size; j++) f[j] = ((double)x[i * size + j] - o->shift) / o->scale;
        pde_radon(s->n[0], o->views, o->theta, o->detectors, o->s, 0, f, y + i * m);
    }
}

static inline void op_scan_back(const void *self, const fd_space *s, int b, const fd_real *x,
                                const double *w, fd_real *g, fd_arena a)
{
    const op_through *o = self;
    const ptrdiff_t size = s->points, m = (ptrdiff_t)o->views * o->detectors;
    double *f = fd_raw(&a, double, size), *v = fd_raw(&a, double, m);
    (void)x;
    for (int i = 0; v && i < b; i++) {
        memset(f, 0, (size_t)size * sizeof *f), memcpy(v, w + i * m, (size_t)m * sizeof *v);
        pde_radon(s->n[0], o->views, o->theta, o->detectors, o->s, 1, f, v);
        for (ptrdiff_t j = 0; j < size; j++) g[i * size + j] = (fd_real)(f[j] / o->scale);
    }
}

/* radon_beams -- theta [views], s [detectors]: where op and data radon look. */
static inline void radon_beams(double angle, int views, int detectors, double *theta, double *s)
{
    const double most = angle * pde_pi / 180;
    for (int v = 0; v < views; v++) theta[v] = most * ((2 * v + 1.) / views - 1);
    for (int b = 0; b < detectors; b++) s[b] = 1.4 * ((2 * b + 1.) / detectors - 1);
}

static inline void op_radon(fd_arena *a, fd_obs *o, op_through *p)
{
    p->views = p->op.v[1] > 0 ? (int)p->op.v[1] : OP_VIEWS;
    p->detectors = p->op.v[2] > 0 ? (int)p->op.v[2] : o->s.n[0];
    p->theta = fd_raw(a, double, p->views), p->s = fd_raw(a, double, p->detectors);
    if (!p->s) return;
    radon_beams(p->op.v[0], p->views, p->detectors, p->theta, p->s);
    o->m = p->views * p->detectors;
    o->self = p, o->apply = op_scan, o->transpose = op_scan_back, o->mul = NULL;
    o->linear = p->shift == 0;
}

/* op_kernel -- phase at (i, j) of one centimetre of opening of the cell at 0. */
static inline void op_kernel(fd_arena *a, op_through *p, const fd_space *s)
{
    const double *v = p->op.v, km = v[1] / s->n[1], turn = pde_pi / 180;
    const pde_mogi m = { 0, 0, v[0], km * km * 1e-5 };
    const int n = s->n[0], w = 2 * s->n[1] - 1;
    p->kernel = fd_raw(a, double, (ptrdiff_t)(2 * n - 1) * w);
    for (int i = 0; p->kernel && i < (2 * n - 1) * w; i++)
        p->kernel[i] = pde_mogi_phase(&m, (i % w - s->n[1] + 1) * km, (i / w - n + 1) * km,
                                      pde_c_band, v[2] * turn, v[3] * turn);
}

/* op_wrap -- o becomes an observation of the solution, linear where the equation is and x is as in
 * files up to a factor. radon: o needs no more than s and its noise. */
static inline op_through *op_wrap(fd_arena *a, fd_obs *o, const spec *op, double scale,
                                  double shift)
{
    const fd_space *s = &o->s;
    op_through *p = fd_new(a, op_through, 1);
    double dt = 0;
    if (!p) return NULL;
    op_check("--op", op, s, &dt);
    *p = (op_through){ .op = *op, .seen = *o, .scale = scale, .shift = shift };
    p->wrapped = op->row == OP_PHASE || (op->row == OP_MOGI && op->v[4] > 0);
    p->linear = op->row >= OP_POISSON && op->row <= OP_MOGI && !p->wrapped;
    if (op->row == OP_RADON) {
        op_radon(a, o, p);
        return p;
    }
    if (op->row == OP_MOGI) op_kernel(a, p, s);
    if (op->row >= OP_FLOW) {
        if (op->row == OP_FLOW) p->flow = pde_flow_new(a, s->n[0], op->v[0], dt, NULL);
        else p->flow = (pde_flow){ .n = s->n[0], .nu = op->v[0], .dt = dt };
        p->steps = op->v[1] > 0 ? (int)lround(op->v[1] / dt) : 0;
    }
    if (op->row == OP_HEAT || op->row == OP_BLUR) {
        const double t = op->row == OP_HEAT ? op->v[0] * op->v[1] : .5 * op->v[0] * op->v[0];
        p->mul = fd_raw(a, double, s->modes);
        if (!p->mul) return NULL;
        fd_laplace(s, p->mul, *a);
        for (ptrdiff_t k = 0; k < s->modes; k++) p->mul[k] = exp(-t * p->mul[k]);
    }
    o->self = p, o->apply = op_apply, o->transpose = op_transpose, o->mul = NULL;
    o->linear = p->linear && shift == 0;
    if (!p->wrapped) return p;
    double *each = o->each ? fd_raw(a, double, 2 * o->m) : NULL;
    for (int i = 0; each && i < 2 * o->m; i++) each[i] = o->each[i / 2];
    o->each = each, o->m *= 2;
    return p;
}
#endif
