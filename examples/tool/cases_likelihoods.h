/* cases_likelihoods.h -- cases of fd vectors: log densities of functions. */
#ifndef CASES_LIKELIHOODS_H
#define CASES_LIKELIHOODS_H
#include "loops.h"

enum { DENSE_B = 3 };

/* dense_of -- the log density at a function, of N(mean, c), or with a flow from t to s that of what
 * the flow makes of N(0, v_t C), by the fault l->id. */
static inline double dense_of(const loop *l, const fd_coef flow[2], const double *x)
{
    double sum = 0, d = 0;
    for (int k = 0; k < l->n; k++) {
        double y = x[k], mean = l->mean[k], var = l->c[k], log_slope = 0;
        if (!(l->lam[k] > 0)) continue;
        if (flow) {
            const fd_coef T = flow[0], S = flow[1];
            double P = T.m * T.m * l->c[k] + T.v * l->lam[k];
            double Q = S.m * S.m * l->c[k] + S.v * l->lam[k];
            log_slope = .5 * log(P / Q);
            y = T.m * mean + sqrt(P / Q) * (x[k] - S.m * mean), mean = 0;
            var = has(l, "unit-start") ? l->lam[k] : T.v * l->lam[k];
            if (has(l, "start-of-data")) mean = T.m * l->mean[k], var = P;
        }
        if (has(l, "no-divergence")) log_slope = 0;
        if (has(l, "sign")) log_slope = -log_slope;
        sum += log_slope - (has(l, "no-half") ? 1 : .5) * log(var)
             - (y - mean) * (y - mean) / var / 2 - (has(l, "no-constant") ? 0 : .5 * log(TURN));
        d++;
    }
    if (has(l, "of-values")) sum -= .5 * d * log(l->n);
    return has(l, "bits") ? sum / log(2) : has(l, "per-mode") ? sum / d : sum;
}

/* dense_at -- functions of the law N(mean, c), an input of the case. */
static inline const fd_real *dense_at(casebook *q, const loop *l, double x[DENSE_B][LOOP_N])
{
    loop_coefs(l, DENSE_B, normals(q, DENSE_B * l->n), x);
    for (int i = 0; i < DENSE_B * l->n; i++) {
        int k = i % l->n;
        x[i / l->n][k] = l->lam[k] > 0 ? l->mean[k] + sqrt(l->c[k] * l->n) * x[i / l->n][k] : 0;
    }
    const fd_real *points = loop_points(q, l, DENSE_B, x);
    put_in(q, "x", 2, (int[]){ DENSE_B, l->n }, points);
    loop_coefs(l, DENSE_B, points, x);
    return points;
}

static inline void dense_case(casebook *q, int n, int flow)
{
    static const char *const wrong[] = { "", "no-constant", "no-half", "bits", "per-mode",
        "of-values", "no-divergence", "sign", "unit-start", "start-of-data" };
    const double t[2] = { .35, .05 };
    const int b = DENSE_B;
    double x[DENSE_B][LOOP_N], y[DENSE_B], got[DENSE_B];
    fd_coef of[2];
    loop l;
    case_begin(q, VALID, flow ? "[SDE eqs. 38-40]" : "", n % 2 ? "OddGrid Modal" : "Nyquist Modal",
               flow ? "log density at x of what the probability flow of vp makes of N(0, v C), "
               "from t to s, by the exact model"
               : "log density of N(mean, c) at x");
    q->tol = flow ? 1e-3 : 20 * q->tol;
    param_text(q, "want", flow ? "flow" : "gauss");
    loop_set w = loop_line(q, &l, n);
    const fd_real *px = dense_at(q, &l, x);
    fd_process p = fd_vp(w.noise, .1, 20);
    if (flow) {
        param(q, "t", t[0]), param(q, "s", t[1]), param(q, "b0", .1), param(q, "b1", 20);
        fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&q->mem, &p, w.mean, w.data), .t = t,
                           .steps = 1, .scheme = FD_PF_ADAPTIVE, .rtol = 1e-6, .atol = 1e-6 };
        for (int i = 0; i < 2; i++) of[i] = fd_law(&p, t[i], 0);
        fd_loglik(&how, 0, fd_seed(q->seed), 0, b, px, got, q->mem);
    } else
        for (int i = 0; i < b; i++) got[i] = fd_gauss_logp(w.data, w.mean, px + i * n, q->mem);
    need(q->mem.st);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        for (int i = 0; i < b; i++) y[i] = dense_of(&l, flow ? of : NULL, x[i]);
        if (f) fault(q, wrong[f], "logp", y);
        else agree(q, b, reals(q, b, got), y), put_out_d(q, "logp", 1, &b, y);
    }
    case_end(q);
}

static inline void group_likelihoods(casebook *q)
{
    if (!group_begin(q, "likelihoods", "log densities: of Gaussian laws, by probability "
                     "flow")) return;
    dense_case(q, 8, 0), dense_case(q, 7, 0), dense_case(q, 8, 1), dense_case(q, 7, 1);
    group_end(q);
}
#endif
