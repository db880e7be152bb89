/* operators.h -- what --op of fd posterior and fd calibrate puts between a function and its observation: the
 * solution of an equation whose coefficient, source or initial state is the function. */
#ifndef OPERATORS_H
#define OPERATORS_H
#include "common.h"
#include "../pde.h"

enum { OP_DARCY, OP_POISSON, OP_HEAT, OP_FLOW, OP_BURGERS };         /* in the order of t_op */
static topic t_op = { "op", "an equation between the function x and what is observed of its solution", {
    { "darcy", "p of -div(exp(x) grad p) = 1 on the unit square, p = 0 on its boundary", {
        { "faces", "harmonic|arithmetic", "mean of the coefficient at a face", 0, 0 } } },
    { "poisson", "u of Laplacian u + k2 u = x, u = 0 on the boundary", {
        { "k2", "0", "square of the wave number", -1e9, 1e9 } } },
    { "heat", "x after the heat equation u_t = nu Laplacian u", {
        { "nu", "0.01", "diffusivity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 } } },
    { "flow", "vorticity after some time, x at the start; periodic", {
        { "nu", "1e-3", "viscosity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 },
        { "dt", "0.01", "a step", 1e-9, 1e9 } } },
    { "burgers", "u of u_t + u u_x = nu u_xx after some time, x at the start; periodic", {
        { "nu", "0.01", "viscosity", 0, 1e9 }, { "time", "1", "when", 0, 1e9 },
        { "dt", "0.005", "a step", 1e-9, 1e9 } } } } };

typedef struct {
    spec op;
    fd_obs seen;                           /* of the solution, without noise */
    double scale, shift;                   /* x in the model's units = scale x + shift in those of files */
    pde_flow flow;
    int steps;
    double *mul;                           /* heat: factors of modes */
    int solved;                            /* 1: once; what fails then is a bad function, not a bad --op */
} op_through;

/* op_check -- does the equation fit the grid? */
static inline void op_check(const char *flag, const spec *op, const fd_space *s, double *rate)
{
    static const int bc[] = { FD_NEUMANN, FD_DIRICHLET, -1, FD_PERIODIC, FD_PERIODIC };
    const char *name = t_op.rows[op->row].name;
    const int square = op->row == OP_DARCY || op->row == OP_FLOW;
    if (s->ch > 1) die(2, "%s: %s is of functions of one channel", flag, name);
    if (square && (s->nd != 2 || s->n[0] != s->n[1])) die(2, "%s: %s wants a square grid, as 32x32", flag, name);
    if (op->row == OP_BURGERS && s->nd != 1) die(2, "%s: burgers wants a line, as --grid 64", flag);
    for (int i = 0; i < s->nd; i++)
        if (bc[op->row] >= 0 && s->bc[i] != bc[op->row])
            die(2, "%s: %s wants --boundary %s", flag, name, t_boundary.rows[bc[op->row]].name);
    if (op->row < OP_FLOW) return;
    double n = op->v[1] / op->v[2];
    if (n > 1e6) die(2, "%s: %s: more than a million steps of dt to the time", flag, name);
    *rate = op->v[1] / fmax(1, ceil(n - 1e-9));
}

/* op_solve -- the solution u of one function x in the units of files; states [steps][size] of what it went through, or
 * NULL. */
static inline void op_solve(const op_through *o, const fd_space *s, const fd_real *x, fd_real *u, fd_real *states,
                            fd_arena a)
{
    const ptrdiff_t size = s->points;
    if (o->op.row == OP_DARCY) {
        double *k = fd_raw(&a, double, size), *f = fd_raw(&a, double, size), *p = fd_raw(&a, double, size);
        for (ptrdiff_t i = 0; p && i < size; i++) k[i] = exp((double)x[i]), f[i] = 1;
        if (!p) return;
        pde_darcy *d = pde_darcy_new(&a, s->n[0], 1 + (int)o->op.v[0], PDE_MULTIGRID, 1e-10, k);
        if (d) pde_darcy_solve(d, f, p, a);
        for (ptrdiff_t i = 0; i < size; i++) u[i] = (fd_real)p[i];
    } else if (o->op.row == OP_POISSON) {
        pde_helmholtz(s, o->op.v[0], 1, x, u, a);
    } else if (o->op.row == OP_HEAT) {
        fd_to_modes(s, 1, x, u, a);
        for (ptrdiff_t k = 0; k < size; k++) u[k] = (fd_real)(o->mul[k] * (double)u[k]);
        fd_from_modes(s, 1, u, u, a);
    } else {
        if (u != x) memcpy(u, x, (size_t)size * sizeof *u);
        for (int k = 0; k < o->steps && !a.st->code; k++) {
            if (states) memcpy(states + k * size, u, (size_t)size * sizeof *u);
            if (o->op.row == OP_FLOW) pde_flow_step(&o->flow, u, a);
            else pde_burgers_step(&o->flow, u, NULL, a);
        }
    }
}

/* op_back -- g = (du/dx)^T g at x. */
static inline void op_back(const op_through *o, const fd_space *s, const fd_real *x, fd_real *g, fd_arena a)
{
    const ptrdiff_t size = s->points;
    if (o->op.row == OP_DARCY) {
        const int faces = 1 + (int)o->op.v[0];
        double *k = fd_raw(&a, double, size), *f = fd_raw(&a, double, size), *p = fd_raw(&a, double, size);
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
    } else if (o->op.row < OP_FLOW) {
        op_solve(o, s, g, g, NULL, a);                       /* symmetric */
    } else {
        fd_real *states = fd_raw(&a, fd_real, o->steps * size), *u = fd_raw(&a, fd_real, size);
        if (!u) return;
        op_solve(o, s, x, u, states, a);
        for (int k = o->steps - 1; k >= 0 && !a.st->code; k--) {
            fd_real *w = states + k * size;
            if (o->op.row == OP_FLOW) pde_flow_back(&o->flow, w, g, a);
            else pde_burgers_step(&o->flow, w, g, a);
        }
    }
}

/* A function whose equation cannot be solved, as a wild proposal of a chain, gives values that are no numbers, which
 * chains reject; where not even the first one can, it is an error. */
static inline void op_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y, fd_arena a)
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
        op_solve(o, s, v, u + i * size, NULL, room);
        if (own.low < a.st->low) a.st->low = own.low;
        if (own.code && (!o->solved || own.code == FD_ENOMEM)) fd_fail_as(a.st, &own);
        else if (own.code) for (ptrdiff_t j = 0; j < size; j++) u[i * size + j] = (fd_real)NAN;
        else o->solved = 1;
    }
    if (!a.st->code) o->seen.apply(o->seen.self, s, b, u, y, a);
}

static inline void op_transpose(const void *self, const fd_space *s, int b, const fd_real *x, const double *w,
                                fd_real *g, fd_arena a)
{
    const op_through *o = self;
    const ptrdiff_t size = s->points;
    fd_real *u = fd_new(&a, fd_real, size);
    if (!u) return;
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

/* op_wrap -- o becomes an observation of the solution, linear where the equation is and x is as in files up to a
 * factor. */
static inline op_through *op_wrap(fd_arena *a, fd_obs *o, const spec *op, double scale, double shift)
{
    const fd_space *s = &o->s;
    op_through *p = fd_new(a, op_through, 1);
    double dt = 0;
    if (!p) return NULL;
    op_check("--op", op, s, &dt);
    *p = (op_through){ .op = *op, .seen = *o, .scale = scale, .shift = shift };
    if (op->row >= OP_FLOW) {
        if (op->row == OP_FLOW) p->flow = pde_flow_new(a, s->n[0], op->v[0], dt, NULL);
        else p->flow = (pde_flow){ .n = s->n[0], .nu = op->v[0], .dt = dt };
        p->steps = op->v[1] > 0 ? (int)lround(op->v[1] / dt) : 0;
    }
    if (op->row == OP_HEAT) {
        p->mul = fd_raw(a, double, s->modes);
        if (!p->mul) return NULL;
        fd_laplace(s, p->mul, *a);
        for (ptrdiff_t k = 0; k < s->modes; k++) p->mul[k] = exp(-op->v[0] * op->v[1] * p->mul[k]);
    }
    o->self = p, o->apply = op_apply, o->transpose = op_transpose, o->mul = NULL;
    o->linear = (op->row == OP_POISSON || op->row == OP_HEAT) && shift == 0;
    return p;
}
#endif
