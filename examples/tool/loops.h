/* loops.h -- whole loops of samplers for fd vectors, by their formulas, mode by mode and in double,
 * with each of the known faults.
 *
 * Data are N(mean, c) and noise has the eigenvalues lam in the modes of one line of points, so that
 * the model is exact and is one formula:
 *
 *     D_k(x, t) = (c_k m x_k + v lam_k mean_k)/(m^2 c_k + v lam_k),      mean_k where c_k = 0.
 *
 * The noise of the loop is given as white noise of the points, z [rows][n] ~ N(0, 1). Row 0 is of
 * the start, then each step has `per` rows in the order of its moves. Of a row z the noise is
 * xi = C^1/2 of it: xi_k = sqrt(lam_k) z_k, z_k = sqrt(n) <z, e_k>. */
#ifndef LOOPS_H
#define LOOPS_H
#include "cases_process.h"

enum { LOOP_N = 8, LOOP_STEPS = 6, LOOP_ROWS = 24, LOOP_M = 3 };
typedef struct {
    const char *id;                                     /* the fault; "": none */
    const fd_sampler *how;
    int n, per, rows;
    double e[LOOP_N][LOOP_N];                           /* e_k at the points */
    double lam[LOOP_N], nyquist, c[LOOP_N], mean[LOOP_N];
    double z[LOOP_ROWS][LOOP_N];                        /* z_k of each draw */
    int m, at[LOOP_M];                                  /* observed points, where there are any */
    double y[LOOP_M], sd;
    double D[LOOP_N], prev[LOOP_N], before;             /* the last D; of pf-multistep: D, t */
    double path[LOOP_STEPS + 2][LOOP_N], end[LOOP_N];
} loop;

static inline int has(const loop *l, const char *id) { return !strcmp(l->id, id); }
static inline fd_coef loop_law(const loop *l, double t) { return fd_law(l->how->p, t, 0); }

/* loop_noise -- xi of a row. */
static inline void loop_noise(const loop *l, int draw, double xi[LOOP_N])
{
    for (int k = 0; k < l->n; k++) {
        int nyquist = l->n % 2 == 0 && k == l->n - 1;
        double lam = nyquist && has(l, "nyquist-kept") ? l->nyquist : l->lam[k];
        xi[k] = sqrt(lam) * l->z[draw][k];
        if (has(l, "white-noise")) xi[k] = l->z[draw][k] / sqrt(l->n);
        if (has(l, "no-grid-factor")) xi[k] /= sqrt(l->n);
    }
}

/* loop_size -- the deviation of a noise that should have the variance var. */
static inline double loop_size(const loop *l, double var)
{
    return has(l, "variance") ? var : has(l, "no-noise") ? 0 : has(l, "root-2") ? sqrt(2 * var)
         : has(l, "no-root-2") ? sqrt(var / 2) : sqrt(var);
}

/* loop_rest -- r = y - A x, where A x are the values at the observed points; loop_back -- the
 * coefficient k of A^T r. */
static inline void loop_rest(const loop *l, const double *x, double *r)
{
    for (int i = 0; i < l->m; i++) {
        r[i] = l->y[i];
        for (int k = 0; k < l->n; k++) r[i] -= x[k] * l->e[k][l->at[i]];
    }
}
static inline double loop_back(const loop *l, int k, const double *r)
{
    double sum = 0;
    for (int i = 0; i < l->m; i++) sum += r[i] * l->e[k][l->at[i]];
    return sum;
}

/* loop_noise_of -- the variance of the observations' noise. */
static inline double loop_noise_of(const loop *l)
{
    return has(l, "deviation") ? l->sd : has(l, "noise-ignored") ? 0 : l->sd * l->sd;
}

/* loop_solve -- r <- Q^-1 r with Q = A diag(cov) A^T + noise, cov NULL: 0; returns log det Q, NAN
 * where Q has no inverse. */
static inline double loop_solve(const loop *l, const double *cov, double *r)
{
    double S[LOOP_M * LOOP_M] = { 0 }, log_det = 0;
    const int m = l->m;
    fd_status own = { 0 };
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++)
            for (int k = 0; k < l->n && cov; k++)
                S[i * m + j] += cov[k] * l->e[k][l->at[i]] * l->e[k][l->at[j]];
        S[i * m + i] += loop_noise_of(l);
    }
    fd_cholesky(&own, m, S);
    fd_solve_lower(m, S, 0, r);
    fd_solve_lower(m, S, 1, r);
    for (int i = 0; i < m; i++) log_det += 2 * log(S[i * m + i]);
    return own.code ? NAN : log_det;
}

/* loop_guide -- D given y at the observed points: with C_t = Cov(x0 | x_t),
 * D + C_t A^T (A C_t A^T + sd^2)^-1 (y - A D). */
static inline void loop_guide(const loop *l, fd_coef f, double *D)
{
    double r[LOOP_M], cov[LOOP_N], J[LOOP_N];
    for (int k = 0; k < l->n; k++) {
        double P = f.m * f.m * l->c[k] + f.v * l->lam[k];
        J[k] = P > 0 ? l->c[k] * f.v / P : 0;           /* v/m dD_k/dx_k */
        cov[k] = l->lam[k] * (has(l, "prior-variance") ? f.v : J[k]);
    }
    loop_rest(l, D, r);
    loop_solve(l, cov, r);
    for (int k = 0; k < l->n; k++)
        D[k] += (has(l, "sign") ? -1 : 1) * loop_back(l, k, r)
              * J[k] * (has(l, "no-covariance") ? 1. / l->n : l->lam[k]);
}

/* loop_replace -- the values at the observed points are put into x, noised as at t. */
static inline void loop_replace(const loop *l, double t, double *x)
{
    double value, u[LOOP_N] = { 0 };
    fd_coef f = loop_law(l, t);
    for (int j = 0; j < l->n; j++) {
        value = 0;
        for (int k = 0; k < l->n; k++) value += x[k] * l->e[k][j];
        for (int i = 0; i < l->m; i++)
            if (l->at[i] == j) value = f.m * l->y[i];
        for (int k = 0; k < l->n; k++) u[k] += value * l->e[k][j] / l->n;
    }
    memcpy(x, u, sizeof u);
}

/* loop_model -- D at x, which the model is told to be at the time t; the step ends at s. */
static inline void loop_model(const loop *l, double t, double s, const double *x, double *D)
{
    double last = l->how->t[l->how->steps];
    if (has(l, "told-late")) t = s;
    if (has(l, "level-off")) t = fmax(t - 1, l->how->p->tmin);
    if (has(l, "reversed-time")) t = l->how->t[0] + last - t;
    fd_coef f = loop_law(l, t);
    for (int k = 0; k < l->n; k++) {
        double P = f.m * f.m * l->c[k] + f.v * l->lam[k];
        D[k] = l->c[k] > 0 ? (l->c[k] * f.m * x[k] + f.v * l->lam[k] * l->mean[k]) / P : l->mean[k];
    }
    if (l->m && !has(l, "replaced")) loop_guide(l, f, D);
}

/* loop_drift -- ax, aD and variance of Euler's steps: x + h (a x + part q S), S = -(x - m D)/v. */
static inline void loop_drift(const loop *l, fd_coef f, double h, double eta, double r[3])
{
    double a = drift_of(f), q = rate_of(f), part = (1 + eta * eta) / 2;
    r[2] = eta * eta * q * h;
    if (has(l, "ode-for-sde")) part = .5;
    if (has(l, "sde-for-ode")) part = 1;
    if (has(l, "forward-drift")) a = -a;
    if (has(l, "noise-as-score")) part *= sqrt(f.v);
    r[0] = 1 + h * (a - part * q / f.v);
    r[1] = h * part * q * f.m / f.v;
}

/* loop_row -- x' = r[0] x + r[1] D + sqrt(r[2]) xi of a scheme of one evaluation. */
static inline void loop_row(const loop *l, double t, double s, double r[3])
{
    const fd_sampler *how = l->how;
    if (has(l, "stride")) s = t - 1;
    fd_coef T = loop_law(l, t), S = loop_law(l, s);
    double h = t - s, k = T.m / S.m, vts = T.v - k * k * S.v, e2 = how->eta * how->eta, w;
    switch (how->scheme) {
    case FD_EULER_MARUYAMA: case FD_PF_EULER: case FD_ETA_EULER:
        loop_drift(l, has(l, "coefficients-late") ? S : T, h, how->scheme == FD_EULER_MARUYAMA ? 1
                   : how->scheme == FD_PF_EULER ? 0 : how->eta, r);
        return;
    case FD_EXPONENTIAL:                                /* of vp: G = 2 (1/k - 1) */
        w = 2 * (1 / k - 1);
        r[0] = 1 / k - w / T.v, r[1] = w * T.m / T.v, r[2] = vts / (k * k);
        return;
    case FD_SEMI_ANALYTIC:
        w = h * rate_of(T) / T.v;
        r[0] = (1 - w) / k, r[1] = w * T.m / k, r[2] = vts / (k * k);
        return;
    case FD_ANCESTRAL: case FD_ANCESTRAL_LARGE: case FD_ANCESTRAL_OPTIMAL:
        r[0] = k * S.v / T.v, r[1] = S.m * vts / T.v;
        r[2] = how->scheme == FD_ANCESTRAL_LARGE ? vts : S.v * vts / T.v;
        if (has(l, "forward-variance")) r[2] = vts;
        if (has(l, "posterior-variance")) r[2] = S.v * vts / T.v;
        return;
    case FD_VE_PREDICTOR:
        r[0] = S.v / T.v, r[1] = 1 - r[0], r[2] = T.v - S.v;
        return;
    case FD_VP_PREDICTOR:
        w = 2 * h * drift_of(T);
        r[0] = 2 - sqrt(1 - w) - w / T.v, r[1] = w * T.m / T.v, r[2] = w;
        return;
    default:                                            /* DDIM */
        r[2] = e2 * S.v * vts / T.v;
        r[0] = sqrt((S.v - r[2]) / T.v), r[1] = S.m - T.m * r[0];
    }
}

/* loop_slope -- y = F(x, t), dx/dtau with tau = -t: of the flow, from data's and noise's share of
 * x, or of the reverse SDE of vp. */
static inline void loop_slope(loop *l, double t, double s, const double *x, double *y)
{
    fd_coef f = loop_law(l, t);
    double a = drift_of(f), root = sqrt(f.v);
    int sde = l->how->scheme == FD_STOCHASTIC_HEUN;
    loop_model(l, t, s, x, l->D);
    for (int k = 0; k < l->n; k++) {
        double e = (x[k] - f.m * l->D[k]) / root;
        y[k] = sde ? a * x[k] - rate_of(f) / root * e : -(f.dm * l->D[k] + f.dv / (2 * root) * e);
        if (has(l, "other-direction")) y[k] = -y[k];
    }
}

/* loop_stages -- Heun, midpoint, Runge-Kutta; Euler from where m = 0; adaptive: the flow itself,
 * which has a formula. */
static inline void loop_stages(loop *l, double t, double s, double *x, const double *xi)
{
    static const double node[3][4] = { { 0, 1 }, { 0, .5 }, { 0, .5, .5, 1 } };
    static const double weight[3][4] = { { .5, .5 }, { 0, 1 },
                                         { 1. / 6, 1. / 3, 1. / 3, 1. / 6 } };
    const int scheme = l->how->scheme, one = has(l, "one-stage") || scheme == FD_PF_EULER;
    int kind = scheme == FD_PF_MIDPOINT ? 1 : scheme == FD_PF_RK4 ? 2 : 0;
    fd_coef T = loop_law(l, t), S = loop_law(l, s);
    double h = t - s, y[LOOP_N], slope[LOOP_N], sum[LOOP_N] = { 0 }, dB[LOOP_N] = { 0 };
    if (scheme == FD_PF_ADAPTIVE) {
        for (int k = 0; k < l->n; k++) {
            double P = T.m * T.m * l->c[k] + T.v * l->lam[k], mean = l->mean[k];
            double Q = S.m * S.m * l->c[k] + S.v * l->lam[k];
            x[k] = S.m * mean + sqrt(P > 0 ? Q / P : S.v / T.v) * (x[k] - T.m * mean);
        }
        return;
    }
    for (int k = 0; k < l->n && scheme == FD_STOCHASTIC_HEUN; k++)
        dB[k] = loop_size(l, 2 * log(S.m / T.m)) * xi[k];
    for (int i = 0; i < (one ? 1 : kind == 2 ? 4 : 2); i++) {
        for (int k = 0; k < l->n; k++)
            y[k] = i ? x[k] + node[kind][i] * h * slope[k] + dB[k] : x[k];
        loop_slope(l, t - node[kind][i] * h, s, y, slope);
        for (int k = 0; k < l->n; k++) sum[k] += (one ? 1 : weight[kind][i]) * slope[k];
    }
    for (int k = 0; k < l->n; k++) x[k] += h * sum[k] + dB[k];
}

/* loop_predict -- from t to s with the noise of a row, -1: none. */
static inline void loop_predict(loop *l, double t, double s, int draw, int quiet, double *x)
{
    const fd_sampler *how = l->how;
    double xi[LOOP_N] = { 0 }, r[3];
    fd_coef T = loop_law(l, t), S = loop_law(l, s), B = loop_law(l, fmax(t, l->before));
    int noise_last = has(l, "last-noise") && s == how->t[how->steps], two = l->before > t;
    if (draw >= 0) loop_noise(l, draw, xi);
    if ((how->scheme >= FD_ONE_STAGE && how->scheme != FD_PF_MULTISTEP)
        || (how->scheme == FD_PF_EULER && !(loop_law(l, how->t[0]).m > 0))) {
        loop_stages(l, t, s, x, xi);
        return;
    }
    loop_model(l, t, s, x, l->D);
    loop_row(l, t, s, r);
    if (noise_last && r[2] <= 0) r[2] = T.v - T.m * T.m / (S.m * S.m) * S.v;
    for (int k = 0; k < l->n; k++) {
        double P = T.m * T.m * l->c[k] + T.v * l->lam[k], D = l->D[k], var = r[2];
        if (how->scheme == FD_ANCESTRAL_OPTIMAL && P > 0) var += r[1] * r[1] * l->c[k] * T.v / P;
        if (how->scheme == FD_PF_MULTISTEP && two) {
            double step = log(S.m / T.m) - log(S.v / T.v) / 2;
            double was = log(T.m / B.m) - log(T.v / B.v) / 2;
            D += (D - l->prev[k]) * (has(l, "equal-steps") ? 1 : step / was) / 2;
        }
        x[k] = r[0] * x[k] + r[1] * D;
        if (!quiet || noise_last) x[k] += loop_size(l, var) * xi[k];
    }
    memcpy(l->prev, l->D, sizeof l->D);
    l->before = t;
}

/* loop_snr -- alpha = 4 r^2 v (|xi|^2 + T)/(|e|^2 + T), e = sqrt(v) s, with sums over the waves up
 * to `band`, where C has the trace T. */
static inline double loop_snr(const loop *l, double v, const double *xi, const double *score)
{
    double zz = 0, ee = 0, trace = 0;
    for (int k = 0; k < l->n; k++) {
        if (!(l->lam[k] > 0) || (k + 1) / 2 > l->how->band) continue;
        trace += l->lam[k], zz += xi[k] * xi[k], ee += v * score[k] * score[k];
    }
    return 4 * l->how->cprm * l->how->cprm * v * (zz + trace) / (ee + trace);
}

/* loop_correct -- a step of Langevin dynamics at t: x + alpha/2 S + sqrt(alpha) xi. */
static inline void loop_correct(loop *l, double t, double s, int draw, int quiet, double *x)
{
    const fd_sampler *how = l->how;
    fd_coef f = loop_law(l, t), F = loop_law(l, how->t[how->steps]);
    double xi[LOOP_N], score[LOOP_N], alpha = how->cprm * f.v, zz = 0, gg = 0;
    int ladder = how->corrector == FD_CORRECT_LADDER;
    loop_noise(l, draw, xi);
    loop_model(l, t, s, x, l->D);
    for (int k = 0; k < l->n; k++) {
        score[k] = -(x[k] - f.m * l->D[k]) / (has(l, "noise-as-score") ? sqrt(f.v) : f.v);
        zz += xi[k] * xi[k], gg += score[k] * score[k];
    }
    if (ladder) alpha = how->cprm * pow(f.v / F.v, has(l, "standard-rule") ? 1 : 2);
    if (how->corrector >= FD_CORRECT_SNR)
        alpha = how->corrector == FD_CORRECT_SNR && !has(l, "grid-norms")
              ? loop_snr(l, f.v, xi, score) : 4 * how->cprm * how->cprm * zz / gg;
    for (int k = 0; k < l->n; k++)
        x[k] += (has(l, "half-drift") ? .5 : 1) * alpha / 2 * score[k]
              + (quiet && !has(l, "last-noise") ? 0 : loop_size(l, alpha)) * xi[k];
}

/* loop_step -- step i: corrector, predictor, churn, corrector. */
static inline void loop_step(loop *l, int i, double *x)
{
    const fd_sampler *how = l->how;
    double t = how->t[i], s = how->t[i + 1], u = s + how->churn * (t - s);
    int inner = how->corrector ? how->inner > 0 ? how->inner : 1 : 0;
    int quiet = i + 1 == how->steps && how->quiet, draw = 1 + i * l->per, noisy = l->per > inner;
    int early = has(l, "corrector-first") || (how->before && !has(l, "corrector-last"));
    int late = inner && !early, churn = how->churn > 0;
    for (int j = 0; j < inner && early; j++) loop_correct(l, t, s, draw++, 0, x);
    loop_predict(l, t, s, noisy ? draw++ : -1, quiet && !late && !churn, x);
    if (churn) {
        double xi[LOOP_N];
        fd_coef S = loop_law(l, s), U = loop_law(l, u);
        loop_noise(l, draw++, xi);
        for (int k = 0; k < l->n; k++)
            x[k] = U.m / S.m * x[k] + loop_size(l, U.v - U.m * U.m / (S.m * S.m) * S.v) * xi[k];
        loop_predict(l, u, s, draw++, quiet && !late, x);
    }
    for (int j = 0; j < inner && late; j++)
        loop_correct(l, s, s, draw++, quiet && j + 1 == inner, x);
    if (l->m && has(l, "replaced")) loop_replace(l, s, x);
}

/* loop_run -- the whole of it, with the fault id: path, the state at the begin and after each step
 * (annealed: each level), and the end. */
static inline void loop_run(loop *l, const char *id)
{
    const fd_sampler *how = l->how;
    int levels = how->scheme == FD_ANNEALED ? how->steps + 1 : how->steps;
    double *x = l->end, end = how->tdenoise > 0 ? how->tdenoise : how->t[how->steps];
    l->id = id;
    l->before = 0;
    loop_noise(l, 0, x);
    double size = how->start == FD_START_UNIT || has(l, "unit-start") ? 1
                : sqrt(loop_law(l, how->t[0]).v);
    for (int k = 0; k < l->n; k++) x[k] *= size;
    memcpy(l->path[0], x, sizeof l->end);
    for (int i = 0; i < levels; i++) {
        if (levels == how->steps) loop_step(l, i, x);
        else for (int j = 0; j < l->per; j++)
            loop_correct(l, how->t[i], how->t[i < how->steps ? i + 1 : i], 1 + i * l->per + j,
                         how->quiet && i + 1 == levels && j + 1 == l->per, x);
        memcpy(l->path[i + 1], x, sizeof l->end);
    }
    if (!how->denoise || has(l, "no-final")) return;
    loop_model(l, end, end, x, l->D);
    memcpy(x, l->D, sizeof l->D);
}

/* ---- The line of points ---------------------------------------------------------------------- */

/* The line of points on which a loop runs, with the laws of noise and data. */
typedef struct { fd_space s; fd_cov *noise, *data; fd_real *mean; } loop_set;

static inline loop_set loop_space(fd_arena *a, int n)
{
    loop_set w = { .s = fd_grid(a, 1, &n, NULL, NULL, 1) };
    w.noise = fd_cov_matern(a, &w.s, 1, .3, .5);
    w.data = fd_cov_matern(a, &w.s, .5, .4, 1.5);
    w.mean = fd_raw(a, fd_real, n);
    need(a->st);
    for (int i = 0; i < n; i++)
        w.mean[i] = (fd_real)(.4 + .8 * cos(TURN * i / n) - .5 * sin(2 * TURN * i / n));
    return w;
}

/* loop_modes -- e_k at the points, and the laws in modes, all as numbers of the case's files. */
static inline void loop_modes(casebook *q, loop *l, const loop_set *w)
{
    const int n = l->n, nn[2] = { n, n };
    const double nu = .5, c = 2 * nu / (.3 * .3), last = TURN * (n / 2);
    fd_real *u = fd_new(&q->mem, fd_real, n * n), *e = fd_raw(&q->mem, fd_real, n * n);
    need(q->mem.st);
    for (int k = 0; k < n; k++) u[k * n + k] = 1;
    fd_from_modes(&w->s, n, u, e, q->mem);
    need(q->mem.st);
    put_in(q, "basis", 2, nn, e);
    put_in_d(q, "lam", 1, nn, w->noise->lam);
    put_in_d(q, "c", 1, nn, w->data->lam);
    put_in(q, "mean", 1, nn, w->mean);
    for (int k = 0; k < n; k++) {
        l->mean[k] = 0;
        for (int i = 0; i < n; i++) {
            l->e[k][i] = (double)e[k * n + i];
            l->mean[k] += (double)e[k * n + i] * (double)w->mean[i] / n;
        }
        l->lam[k] = (double)q->in[1].x[k], l->c[k] = (double)q->in[2].x[k];
    }
    l->nyquist = 2 * pow(c, nu) * tgamma(nu + .5) * sqrt(TURN / 2) / tgamma(nu)
               * pow(c + last * last, -nu - .5);
    param_text(q, "field", "matern");
    param(q, "var", 1), param(q, "l", .3), param(q, "nu", nu);
}

/* loop_line -- a line of n points and its laws, the first inputs of a case. */
static inline loop_set loop_line(casebook *q, loop *l, int n)
{
    memset(l, 0, sizeof *l);
    l->id = "", l->n = n;
    loop_set w = loop_space(&q->mem, n);
    loop_modes(q, l, &w);
    return w;
}

/* loop_seen -- noisy values at points, as inputs of a case, and the library's observation. */
static const ptrdiff_t loop_at[LOOP_M] = { 1, 2, 5 };
static inline fd_obs loop_seen(casebook *q, loop *l, const loop_set *w, double sd)
{
    const int m = LOOP_M;
    double place[LOOP_M];
    const fd_real *y = normals(q, m);
    l->m = m, l->sd = sd;
    for (int i = 0; i < m; i++) place[i] = l->at[i] = (int)loop_at[i], l->y[i] = (double)y[i];
    put_in_d(q, "index", 1, &m, place);
    put_in(q, "y", 1, &m, y);
    fd_obs o = fd_obs_pick(&q->mem, &w->s, m, loop_at);
    fd_obs_noise(&q->mem, &o, sd);
    need(q->mem.st);
    return o;
}

/* loop_points -- rows of coefficients as values at the points. */
static inline fd_real *loop_points(casebook *q, const loop *l, int rows, double u[][LOOP_N])
{
    fd_real *x = fd_raw(&q->mem, fd_real, rows * l->n);
    need(q->mem.st);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < l->n; i++) {
            double sum = 0;
            for (int k = 0; k < l->n; k++) sum += u[r][k] * l->e[k][i];
            x[r * l->n + i] = (fd_real)sum;
        }
    return x;
}

/* loop_coefs -- the coefficients of rows of functions, in double. */
static inline void loop_coefs(const loop *l, int rows, const fd_real *x, double u[][LOOP_N])
{
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < l->n; k++) {
            u[r][k] = 0;
            for (int i = 0; i < l->n; i++) u[r][k] += (double)x[r * l->n + i] * l->e[k][i] / l->n;
        }
}

/* loop_white_given -- rows of white noise of the points, an input of the case. */
static inline void loop_white_given(casebook *q, loop *l, int rows)
{
    const fd_real *z = normals(q, rows * l->n);
    l->rows = rows;
    put_in(q, "z", 2, (int[]){ rows, l->n }, z);
    loop_coefs(l, rows, z, l->z);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < l->n; k++) l->z[r][k] *= sqrt(l->n);
}

/* loop_functions -- random functions of the modes that carry noise, an input of the case. */
static inline const fd_real *loop_functions(casebook *q, loop *l, const char *name, int rows,
                                            double u[][LOOP_N])
{
    loop_coefs(l, rows, normals(q, rows * l->n), u);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < l->n; k++) if (!(l->lam[k] > 0)) u[r][k] = 0;
    const fd_real *x = loop_points(q, l, rows, u);
    put_in(q, name, 2, (int[]){ rows, l->n }, x);
    loop_coefs(l, rows, x, u);
    return x;
}
#endif
