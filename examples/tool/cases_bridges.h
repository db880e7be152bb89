/* cases_bridges.h -- cases of fd vectors: bridges of a linear equation, a loop of exact steps. */
#ifndef CASES_BRIDGES_H
#define CASES_BRIDGES_H
#include "loops.h"

static inline double bridge_g(double a, double h)
{
    return a * h > 1e-12 ? (1 - exp(-2 * a * h)) / (2 * a) : h;
}

/* bridge_run -- the path from path[0] to end by exact steps, by the fault l->id. */
static inline void bridge_run(loop *l, const double *decay, int steps, const double *t,
                              const double *end)
{
    double T = t[steps], xi[LOOP_N];
    for (int i = 0; i < steps; i++) {
        double h = t[i + 1] - t[i], left = T - t[i + 1];
        loop_noise(l, i, xi);
        for (int k = 0; k < l->n; k++) {
            double a = has(l, "brownian") ? 0 : decay[k], x = l->path[i][k];
            double G = bridge_g(a, T - t[i]);
            double mean = (exp(-a * h) * bridge_g(a, left) * x
                           + exp(-a * left) * bridge_g(a, h) * end[k]) / G;
            double var = bridge_g(a, h) * bridge_g(a, left) / G, pull = exp(-a * (T - t[i]));
            if (has(l, "forward-variance")) var = bridge_g(a, h);
            if (has(l, "euler-drift"))
                mean = x + h * (-a * x + pull / G * (end[k] - pull * x)), var = h;
            l->path[i + 1][k] = mean + loop_size(l, var) * xi[k];
        }
    }
}

/* bridge_agree -- what fd_bridge_step makes of the same noise. */
static inline void bridge_agree(casebook *q, const loop *l, const fd_linear *line, int steps,
                                const double *t, const fd_real *end)
{
    const fd_real *path = q->out[0].x;
    const int n = l->n;
    double u[1][LOOP_N], want[LOOP_N];
    fd_real *x = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    memcpy(x, path, (size_t)n * sizeof *x);
    for (int i = 0; i < steps; i++) {
        loop_noise(l, i, u[0]);
        const fd_real *noise = loop_points(q, l, 1, u);
        fd_bridge_step(line, t[i], t[i + 1], 1, x, end, noise, q->mem);
        need(q->mem.st);
        for (int j = 0; j < n; j++) want[j] = (double)path[(i + 1) * n + j];
        agree(q, n, x, want);
    }
}

/* bridge_ends -- the noise of the steps, and x0 and the end, which have no Nyquist mode. */
static inline const fd_real *bridge_ends(casebook *q, loop *l, double end[2][LOOP_N])
{
    const int n = l->n, dims[2] = { l->rows, n };
    const fd_real *z = normals(q, l->rows * n), *x[2] = { normals(q, n), normals(q, n) };
    put_in(q, "z", 2, dims, z);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++) {
            for (int r = 0; r < l->rows; r++)
                l->z[r][k] += (double)z[r * n + i] * l->e[k][i] / sqrt(n);
            for (int r = 0; r < 2 && l->lam[k] > 0; r++)
                end[r][k] += (double)x[r][i] * l->e[k][i] / n;
        }
    for (int r = 0; r < 2; r++) {
        x[r] = loop_points(q, l, 1, end + r);
        put_in(q, r ? "end" : "x0", 1, &n, x[r]);
    }
    memcpy(l->path[0], end[0], sizeof l->path[0]);
    return x[1];
}

/* bridge_case -- the stochastic heat equation dX = (nu Laplace - c) X dt + dW, from X_0 = x0 to
 * X_1 = end. */
static inline void bridge_case(casebook *q, int n, double nu, double c)
{
    static const char *const wrong[] = { "variance", "no-noise", "root-2", "no-root-2",
        "white-noise", "no-grid-factor", "nyquist-kept", "brownian", "forward-variance",
        "euler-drift" };
    enum { STEPS = 4 };
    static const double t[STEPS + 1] = { 0, .2, .45, .8, 1 };
    const int dims[2] = { STEPS + 1, n };
    double ends[2][LOOP_N] = { { 0 } };
    loop l;
    case_begin(q, VALID, "[Survey eqs. 5.1, 5.2]", n % 2 ? "Loop OddGrid" : "Loop Nyquist",
               "bridge of dX = -A X dt + dW from x0 to end, %d exact steps", STEPS);
    q->tol *= 5;
    memset(&l, 0, sizeof l);
    l.id = "", l.n = n, l.rows = STEPS;
    loop_set w = loop_space(&q->mem, n);
    fd_linear line = fd_linear_heat(&q->mem, w.noise, nu, c, 1);
    need(q->mem.st);
    loop_modes(q, &l, &w);
    param_text(q, "want", "bridge");
    put_in_d(q, "a", 1, &n, line.a);
    put_in_d(q, "t", 1, dims, t);
    const fd_real *end = bridge_ends(q, &l, ends);
    bridge_run(&l, line.a, STEPS, t, ends[1]);
    put_out(q, "path", 2, dims, loop_points(q, &l, STEPS + 1, l.path));
    bridge_agree(q, &l, &line, STEPS, t, end);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        bridge_run(&l, line.a, STEPS, t, ends[1]);
        put_other(q, 0, wrong[f], "path", loop_points(q, &l, STEPS + 1, l.path));
    }
    case_end(q);
}
#endif
