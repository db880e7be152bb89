/* cases_bridges.h -- cases of fd vectors: bridges of a linear equation, by a loop of exact steps
 * and as pairs for bridge matching; what is known of their ends, costs and weights. */
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
static inline const fd_real *bridge_ends(casebook *q, loop *l, int steps, double end[2][LOOP_N])
{
    const int n = l->n;
    const fd_real *x = NULL;
    loop_white_given(q, l, steps);
    for (int r = 0; r < 2; r++) {
        loop_coefs(l, 1, normals(q, n), end + r);
        for (int k = 0; k < n; k++) if (!(l->lam[k] > 0)) end[r][k] = 0;
        x = loop_points(q, l, 1, end + r);
        put_in(q, r ? "end" : "x0", 1, &n, x);
    }
    memcpy(l->path[0], end[0], sizeof l->path[0]);
    return x;
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
    loop_set w = loop_line(q, &l, n);
    fd_linear line = fd_linear_heat(&q->mem, w.noise, nu, c, 1);
    need(q->mem.st);
    param_text(q, "want", "bridge");
    put_in_d(q, "a", 1, &n, line.a);
    put_in_d(q, "t", 1, dims, t);
    const fd_real *end = bridge_ends(q, &l, STEPS, ends);
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

/* ---- Pairs for bridge matching --------------------------------------------------------------- */

enum { PAIR_B = 4 };

/* line_put -- the equation dX = -A X dt + dW of a case: basis, lam, a, T. */
static inline fd_linear line_put(casebook *q, loop *l, loop_set *w, int n, double nu, double c)
{
    *w = loop_line(q, l, n);
    fd_linear line = fd_linear_heat(&q->mem, w->noise, nu, c, 1);
    need(q->mem.st);
    put_in_d(q, "a", 1, &n, line.a);
    param(q, "T", 1);
    return line;
}

/* pair_of -- x at t and the drift there, of the bridge from x0 to end, by the fault l->id. */
static inline void pair_of(const loop *l, const double *decay, double t, const double *x0,
                           const double *end, const double *xi, double *x, double *y)
{
    const double R = 1 - t;
    for (int k = 0; k < l->n; k++) {
        double a = has(l, "brownian") ? 0 : decay[k], g0 = bridge_g(a, t), g1 = bridge_g(a, R);
        double G = bridge_g(a, 1), pull = exp(-a * R), to = end[k], from = x0[k];
        double var = has(l, "forward-variance") ? g0 : g0 * g1 / G;
        if (has(l, "ends-swapped")) to = x0[k], from = end[k];
        x[k] = (exp(-a * t) * g1 * from + exp(-a * R) * g0 * to) / G + loop_size(l, var) * xi[k];
        y[k] = -a * x[k] + pull / g1 * (to - pull * x[k]);
        if (has(l, "no-drift")) y[k] += a * x[k];
        if (has(l, "linear-sign")) y[k] += 2 * a * x[k];
        if (has(l, "no-decay")) y[k] = -a * x[k] + pull / g1 * (to - x[k]);
    }
}

static inline void pair_case(casebook *q, int n, double nu, double c)
{
    static const char *const wrong[] = { "", "ends-swapped", "variance", "no-noise", "root-2",
        "white-noise", "no-grid-factor", "nyquist-kept", "brownian", "forward-variance", "no-drift",
        "linear-sign", "no-decay" };
    const double t[PAIR_B] = { .1, .4, .75, .95 };
    const int dims[2] = { PAIR_B, n }, b = PAIR_B;
    double x0[PAIR_B][LOOP_N], end[PAIR_B][LOOP_N], x[PAIR_B][LOOP_N], y[PAIR_B][LOOP_N];
    double xi[PAIR_B][LOOP_N], want[PAIR_B * LOOP_N];
    loop l;
    loop_set w;
    case_begin(q, VALID, "[Survey eqs. 5.1, 5.2]", n % 2 ? "OddGrid Modal" : "Nyquist Modal",
               "x at t of the bridge from x0 to end of dX = -A X dt + dW, and its drift there");
    q->tol *= 10;
    param_text(q, "want", "pair");
    fd_linear line = line_put(q, &l, &w, n, nu, c);
    const fd_real *px = loop_functions(q, &l, "x0", b, x0);
    const fd_real *pe = loop_functions(q, &l, "end", b, end);
    put_in_d(q, "t", 1, &b, t);
    loop_white_given(q, &l, b);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        for (int i = 0; i < b; i++) {
            loop_noise(&l, i, xi[i]);
            pair_of(&l, line.a, t[i], x0[i], end[i], xi[i], x[i], y[i]);
        }
        const fd_real *zx = loop_points(q, &l, b, x), *zy = loop_points(q, &l, b, y);
        if (f) {
            put_other(q, 0, wrong[f], "x", zx), put_other(q, 0, wrong[f], "y", zy);
            continue;
        }
        fd_real *z = loop_points(q, &l, b, xi);
        fd_bridge_draw(&line, b, t, px, pe, z, z, q->mem);
        for (int i = 0; i < b * n; i++) want[i] = (double)zx[i];
        agree(q, b * n, z, want);
        for (int i = 0; i < b; i++)
            fd_bridge_drift(&line, t[i], 1, z + i * n, pe + i * n, z + i * n, q->mem);
        need(q->mem.st);
        for (int i = 0; i < b * n; i++) want[i] = (double)zy[i];
        agree(q, b * n, z, want);
        put_out(q, "x", 2, dims, zx), put_out(q, "y", 2, dims, zy);
    }
    case_end(q);
}

/* ---- The limit of iterated bridge matching --------------------------------------------------- */

static inline void coupling_case(casebook *q, double nu, double c)
{
    enum { N = LOOP_N };
    const int n = N;
    double s[2][N], y[N], z[7][N];
    loop l;
    loop_set w;
    case_begin(q, VALID, "", "Modal", "covariance of the two ends in each mode, of the law next to "
               "the process that has the deviations s0 and s1 at them (Schroedinger bridge)");
    q->tol *= 20;
    param_text(q, "want", "coupling");
    fd_linear line = line_put(q, &l, &w, n, nu, c);
    for (int k = 0; k < N; k++) s[0][k] = .4 + .1 * k, s[1][k] = 1.2 - .13 * k;
    put_in_d(q, "s0", 1, &n, s[0]), put_in_d(q, "s1", 1, &n, s[1]);
    fd_schroedinger_cov(&line, s[0], s[1], y, q->mem);
    need(q->mem.st);
    for (int k = 0; k < N; k++) {
        double e = exp(-line.a[k]), V = l.lam[k] * bridge_g(line.a[k], 1);
        double p = e * s[0][k] * s[1][k], B = l.lam[k], ps = sqrt(s[0][k] * s[1][k]);
        z[0][k] = (sqrt(4 * p * p + V * V) - V) / (2 * e);
        z[1][k] = (sqrt(4 * e * e * s[0][k] * s[1][k] + V * V) - V) / (2 * e);
        z[2][k] = (sqrt(4 * pow(ps, 4) + B * B) - B) / 2;
        z[3][k] = e * z[0][k];
        z[4][k] = s[0][k] * s[1][k];
        z[5][k] = 0;
        z[6][k] = z[0][k] / (s[0][k] * s[1][k]);
    }
    agree(q, n, reals(q, n, y), z[0]);
    put_out_d(q, "cov", 1, &n, y);
    static const char *const wrong[] = { "", "deviation", "brownian", "decayed", "transport",
                                         "independent", "correlation" };
    for (int f = 1; f < COUNT(wrong); f++) fault(q, wrong[f], "cov", z[f]);
    case_end(q);
}

/* ---- Observed ends, costs, weights ----------------------------------------------------------- */

/* end_plain -- what is expected of the end, given x at t and noisy values y there, and the least
 * cost of a control that leads to it. Of the prior N(e^-A(1 - t) x, lam g). */
static inline double end_plain(const loop *l, const double *decay, double t, const double *x,
                               double *end)
{
    double r[2][LOOP_M], var[LOOP_N], square = 0;
    for (int k = 0; k < l->n; k++) {
        double a = has(l, "brownian") ? 0 : decay[k], R = has(l, "from-start") ? 1 : 1 - t;
        end[k] = exp(-a * R) * x[k], var[k] = l->lam[k] * bridge_g(a, R);
    }
    loop_rest(l, end, r[0]), loop_rest(l, end, r[1]);
    double half = loop_solve(l, var, r[1]) / 2;
    for (int i = 0; i < l->m; i++) square += r[0][i] * r[1][i] / 2;
    for (int k = 0; k < l->n; k++) end[k] += var[k] * loop_back(l, k, r[1]);
    if (has(l, "no-determinant") && !isnan(half)) return square;
    if (has(l, "with-constant")) return square + half + .5 * l->m * log(TURN);
    return square + half - l->m * log(l->sd);
}

/* end_case -- values of the end are given; value: with the cost, from t = 0. */
static inline void end_case(casebook *q, double nu, double c, double t)
{
    static const char *const wrong[] = { "", "deviation", "noise-ignored", "brownian",
                                         "from-start", "no-determinant", "with-constant" };
    enum { N = LOOP_N };
    const int n = N, one = 1;
    double x[1][N], end[1][N], cost, want[N];
    loop l;
    loop_set w;
    case_begin(q, VALID, "", "Posterior Modal", "dX = -A X dt + dW, X = x at t, noisy values of "
               "X_T: E X_T%s", t > 0 ? "" : ", and min over controls of E[int |u|^2/2 + misfit]");
    q->tol *= 10;
    param_text(q, "want", "end");
    fd_linear line = line_put(q, &l, &w, n, nu, c);
    param(q, "t", t), param(q, "sd", .3);
    const fd_real *px = loop_functions(q, &l, "x", 1, x);
    fd_obs o = loop_seen(q, &l, &w, .3);
    fd_real *got = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    fd_bridge_end(&line, t, &o, l.y, NULL, 0, 1, px, got, q->mem);
    double value = t > 0 ? 0 : fd_control_value(&line, 0, &o, l.y, px, q->mem);
    need(q->mem.st);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        cost = end_plain(&l, line.a, t, x[0], end[0]);
        const fd_real *z = loop_points(q, &l, 1, end);
        if (f && !isnan(cost)) {
            put_other(q, 0, wrong[f], "end", z);
            if (t == 0) fault(q, wrong[f], "cost", &cost);
        }
        if (f) continue;
        for (int i = 0; i < n; i++) want[i] = (double)z[i];
        agree(q, n, got, want);
        put_out(q, "end", 1, &n, z);
        if (t > 0) continue;
        agree(q, 1, reals(q, 1, &value), &cost);
        put_out_d(q, "cost", 1, &one, &cost);
    }
    case_end(q);
}

/* weight_case -- log dP'/dP over a step, where P' has d more drift. */
static inline void weight_case(casebook *q, int n)
{
    static const char *const wrong[] = { "", "no-correction", "no-half", "sign", "l2-norm" };
    const int b = PAIR_B;
    const double h = .1;
    double d[PAIR_B][LOOP_N], dW[PAIR_B][LOOP_N], y[PAIR_B], got[PAIR_B] = { 0 };
    loop l;
    loop_set w;
    case_begin(q, VALID, "[Thesis eqs. 2.31-2.40, 2.45-2.47, corrected]", n % 2 ? "OddGrid Modal"
               : "Nyquist Modal", "Girsanov's log weight of a step of length h with the noise dW, "
               "for d more drift");
    q->tol *= 20;
    param_text(q, "want", "weight");
    param(q, "h", h);
    w = loop_line(q, &l, n);
    const fd_real *pd = loop_functions(q, &l, "d", b, d), *pw = loop_functions(q, &l, "dW", b, dW);
    fd_girsanov(w.noise, h, b, pd, pw, got, q->mem);
    need(q->mem.st);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        for (int i = 0; i < b; i++) {
            double dot = 0, square = 0;
            for (int k = 0; k < n; k++) {
                double lam = has(&l, "l2-norm") ? 1 : l.lam[k];
                if (!(lam > 0)) continue;
                dot += d[i][k] * dW[i][k] / lam, square += d[i][k] * d[i][k] / lam;
            }
            y[i] = dot - (has(&l, "no-correction") ? 0 : has(&l, "no-half") ? h : has(&l, "sign")
                          ? -h / 2 : h / 2) * square;
        }
        if (f) fault(q, wrong[f], "logz", y);
        else {
            agree(q, b, reals(q, b, got), y);
            put_out_d(q, "logz", 1, &b, got);
        }
    }
    case_end(q);
}

static inline void group_bridges(casebook *q)
{
    if (!group_begin(q, "bridges", "pairs of bridge matching, drifts, couplings, observed ends, "
                     "costs, path weights")) return;
    pair_case(q, 8, .01, 0), pair_case(q, 7, .02, .5), pair_case(q, 8, 0, 2);
    coupling_case(q, .01, 0), coupling_case(q, .02, .5);
    end_case(q, .01, .2, 0), end_case(q, .02, 0, .4);
    weight_case(q, 8), weight_case(q, 7);
    group_end(q);
}
#endif
