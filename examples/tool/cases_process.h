/* cases_process.h -- cases of fd vectors: processes, what models say, steps of samplers. */
#ifndef CASES_PROCESS_H
#define CASES_PROCESS_H
#include "vectors.h"

/* ---- Processes ------------------------------------------------------------------------------- */

/* drift, rate -- a = -m'/m and q = v' + 2 a v of dX = -a X dt + sqrt(q) dW [SDE eq. 5]. */
static inline double drift_of(fd_coef c) { return -c.dm / c.m; }
static inline double rate_of(fd_coef c) { return c.dv - 2 * c.v * c.dm / c.m; }

enum { TIMES_OF = 5, LAW_OF = 4 };
static const char *const law_name[LAW_OF] = { "m", "v", "a", "q" };

static inline void law_take(fd_coef c, double y[LAW_OF][TIMES_OF * 4], int i)
{
    y[0][i] = c.m, y[1][i] = c.v, y[2][i] = drift_of(c), y[3][i] = rate_of(c);
}

/* law_faults -- what is made of the right numbers by faults that many have in common. */
static inline void law_faults(casebook *q, int n, double y[LAW_OF][TIMES_OF * 4], const char *name)
{
    double z[TIMES_OF * 4] = { 0 };
    for (int i = 0; i < n; i++) z[i] = sqrt(y[1][i]);
    fault(q, "deviation", "v", z);
    for (int i = 0; i < n; i++) z[i] = y[1][i] * y[1][i];
    fault(q, "variance", "v", z);
    for (int i = 0; i < n; i++) z[i] = sqrt(y[3][i]);
    fault(q, "root-rate", "q", z);
    if (strcmp(name, "vp") && strcmp(name, "ou")) return;
    for (int i = 0; i < n; i++) z[i] = y[0][i] * y[0][i];
    fault(q, "no-half-rate", "m", z);
    for (int i = 0; i < n; i++) z[i] = 1 - pow(y[0][i], 4);
    fault(q, "no-half-rate", "v", z);
    for (int i = 0; i < n; i++) z[i] = 2 * y[2][i];
    fault(q, "no-half-rate", "a", z);
}

/* law_case -- m, v, a, q at five times, of a process that does not depend on the mode; chains at
 * whole times, without a and q, which jump there. */
static inline void law_case(casebook *q, const fd_process *p, const char *name, const char *paper,
                            int keys,
                            const char *const keyed[], const double v[], const double t[TIMES_OF])
{
    double y[LAW_OF][TIMES_OF * 4], z[LAW_OF][TIMES_OF * 4];
    int n = TIMES_OF, chain = !strcmp(name, "ddpm") || !strcmp(name, "ladder");
    int from_zero = !strcmp(name, "ve");
    case_begin(q, from_zero ? ACCEPTABLE : VALID, paper, chain ? "Chain" : "", "process %s: X_t is "
               "N(m x0, v C); dX = -a X dt + sqrt(q) dW%s", name, from_zero
               ? "; v may leave out that of t = 0" : "");
    param_text(q, "process", name);
    for (int i = 0; i < keys; i++) param(q, keyed[i], v[i]);
    if (!chain) param(q, "tmax", p->tmax);
    put_in_d(q, "t", 1, &n, t);
    for (int i = 0; i < n; i++) law_take(fd_law(p, t[i], 0), y, i);
    for (int e = 0; e < (chain ? 2 : LAW_OF); e++) put_out_d(q, law_name[e], 1, &n, y[e]);
    for (int i = 0; i < n; i++)
        law_take(fd_law(p, chain ? fmax(t[i] - 1, p->tmin) : p->tmax - t[i], 0), z, i);
    for (int e = 0; e < q->finals; e++) fault(q, chain ? "level-off" : "reversed-time", law_name[e],
                                              z[e]);
    for (int i = 0; i < n; i++) z[0][i] = y[1][i] - fd_law(p, 0, 0).v;
    if (from_zero) put_other(q, 1, "from-zero", "v", reals(q, n, z[0]));
    if (!strcmp(name, "vp") || !strcmp(name, "subvp")) {
        for (int i = 0; i < n; i++) {
            double B = v[0] * t[i] + (v[1] - v[0]) * t[i] * t[i], w = 1 - exp(-B);
            z[0][i] = exp(-B / 2), z[1][i] = *name == 's' ? w * w : w;
        }
        fault(q, "integral", "m", z[0]);
        fault(q, "integral", "v", z[1]);
    }
    law_faults(q, n, y, name);
    case_end(q);
}

/* law_modal -- the same where it depends on the mode: the coefficient of each is given. */
static inline void law_modal(casebook *q, const fd_space *s, const fd_process *p, const char *name,
                             const char *paper, int keys, const char *const keyed[],
                             const double v[])
{
    enum { MODES_OF = 4 };
    const double t[TIMES_OF] = { .1, .3, .5, .8, 1 };
    double y[LAW_OF][TIMES_OF * 4], z[LAW_OF][TIMES_OF * 4], mu[MODES_OF];
    int n[2] = { TIMES_OF, MODES_OF };
    case_begin(q, VALID, paper, "Modal", "process %s: m, v, a, q of each mode", name);
    param_text(q, "process", name);
    for (int i = 0; i < keys; i++) param(q, keyed[i], v[i]);
    for (int k = 0; k < MODES_OF; k++) fd_wave(s, 2 * k, &mu[k]);
    put_in_d(q, "t", 1, n, t);
    put_in_d(q, "mu", 1, n + 1, mu);
    for (int i = 0; i < TIMES_OF * MODES_OF; i++) {
        law_take(fd_law(p, t[i / MODES_OF], 2 * (i % MODES_OF)), y, i);
        law_take(fd_law(p, p->tmax - t[i / MODES_OF] + 1e-9, 2 * (i % MODES_OF)), z, i);
    }
    for (int e = 0; e < LAW_OF; e++) put_out_d(q, law_name[e], 2, n, y[e]);
    for (int e = 0; e < LAW_OF; e++) fault(q, "reversed-time", law_name[e], z[e]);
    law_faults(q, TIMES_OF * MODES_OF, y, name);
    case_end(q);
}

/* snr_case -- log m^2/v, by which samplers choose their times. */
static inline void snr_case(casebook *q, const fd_process *p, const char *name, int keys,
                            const char *const keyed[], const double v[], const double t[TIMES_OF])
{
    const int n = TIMES_OF;
    double l[TIMES_OF], z[TIMES_OF];
    case_begin(q, ACCEPTABLE, "[VDM code, model_vdm.py]", "", "log signal-to-noise ratio "
               "log(m^2/v) of %s, or half of it", name);
    param_text(q, "want", "logsnr");
    param_text(q, "process", name);
    for (int i = 0; i < keys; i++) param(q, keyed[i], v[i]);
    param(q, "tmax", p->tmax);
    put_in_d(q, "t", 1, &n, t);
    for (int i = 0; i < n; i++) {
        fd_coef c = fd_law(p, t[i], 0);
        l[i] = log(c.m * c.m / c.v);
        z[i] = l[i] / 2;
    }
    put_out_d(q, "l", 1, &n, l);
    put_other(q, 1, "half-log", "l", reals(q, n, z));
    for (int i = 0; i < n; i++) z[i] = -l[i];
    fault(q, "sign", "l", z);
    for (int i = 0; i < n; i++) {
        fd_coef c = fd_law(p, p->tmax - t[i], 0);
        z[i] = log(c.m * c.m / c.v);
    }
    fault(q, "reversed-time", "l", z);
    case_end(q);
}

static inline void group_processes(casebook *q)
{
    static const char *const b[] = { "b0", "b1" }, *const sm[] = { "smin", "smax" };
    static const char *const one[] = { "smin" }, *const s[] = { "s" },
        *const c[] = { "T", "b1", "bT" };
    static const char *const l[] = { "v1", "vT", "T" }, *const heat[] = { "c", "kappa" };
    const double t[TIMES_OF] = { .05, .2, .45, .7, .9 }, level[TIMES_OF] = { 2, 5, 20, 60, 100 };
    const double vp[] = { .1, 20 }, ve[] = { .5, 5 }, flow[] = { 1e-4 }, off[] = { .08 };
    const double chain[] = { 100, 1e-4, .02 }, ladder[] = { .01, 30, 100 }, fdp[] = { .1, 5 },
        ac[] = { 1, .01 };
    if (!group_begin(q, "processes", "m, v, a, q of processes at given times")) return;
    fd_space g = fd_grid(&q->a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&q->a, &g, 1, .2, 1.5);
    double *beta = fd_raw(&q->a, double, 100);
    need(q->a.st);
    fd_beta_schedule(FD_BETA_LINEAR, 100, 1e-4, .02, beta, q->a.st);
    fd_process p[] = { fd_vp(noise, .1, 20), fd_subvp(noise, .1, 20), fd_ve(noise, .5, 5),
                      fd_ou(noise, 1),
                       fd_flow(noise, 1e-4), fd_flow_vp(noise, .08), fd_driftless(noise, 1),
                       fd_ddpm_betas(&q->a, noise, 100, beta), fd_ladder(noise, .01, 30, 100),
                       fd_fdp(&q->a, noise, .1, 5, NULL), fd_heat(noise, 1, .01, NULL, NULL, 1),
                       fd_vp_cosine(noise) };
    need(q->a.st);
    law_case(q, &p[0], "vp", "[SDE eqs. 11, 32]", 2, b, vp, t);
    law_case(q, &p[1], "subvp", "[SDE eqs. 12, 34]", 2, b, vp, t);
    law_case(q, &p[2], "ve", "[SDE eqs. 9, 30]", 2, sm, ve, t);
    law_case(q, &p[3], "ou", "[Pidstrigach]", 0, NULL, NULL, t);
    law_case(q, &p[11], "vp-cosine", "[HDM code, functions/sde.py]", 0, NULL, NULL, t);
    law_case(q, &p[4], "flow", "[FFM code, functional_fm.py]", 1, one, flow, t);
    law_case(q, &p[5], "flow-vp", "[FFM code, functional_fm.py]", 1, s, off, t);
    law_case(q, &p[6], "driftless", "[Thesis sec. 4.2]", 0, NULL, NULL, t);
    law_case(q, &p[7], "ddpm", "[DDPM eq. 4]", 3, c, chain, level);
    law_case(q, &p[8], "ladder", "[DDO code, src/util/utils.py]", 3, l, ladder, level);
    snr_case(q, &p[0], "vp", 2, b, vp, t);
    snr_case(q, &p[4], "flow", 1, one, flow, t);
    law_modal(q, &g, &p[9], "fdp", "[FDP code, sdetools/heat_subvp_sde.py]", 2, b, fdp);
    law_modal(q, &g, &p[10], "heat", "[Thesis eq. 2.43]", 2, heat, ac);
    group_end(q);
}

/* ---- What models say ------------------------------------------------------------------------- */

static const char *const says_name[] = { "x0", "noise", "score", "v", "velocity" };

/* says_d, says_of -- D of what a model says, and back; s = sqrt v. */
static inline double says_d(int kind, fd_coef c, double s, double x, double y)
{
    double ds = c.dv / (2 * sqrt(c.v));
    switch (kind) {
    case FD_X0: return y;
    case FD_NOISE: return (x - s * y) / c.m;
    case FD_SCORE: return (x + s * s * y) / c.m;
    case FD_V: return (c.m * x - s * y) / (c.m * c.m + s * s);
    default: return (-y - ds * x / s) / (c.dm - ds * c.m / s);
    }
}
static inline double says_of(int kind, fd_coef c, double s, double x, double D)
{
    double e = (x - c.m * D) / s, ds = c.dv / (2 * sqrt(c.v));
    return kind == FD_X0 ? D : kind == FD_NOISE ? e : kind == FD_SCORE ? -e / s
         : kind == FD_V ? c.m * e - s * D : -(c.dm * D + ds * e);
}

static inline void says_case(casebook *q, const fd_process *p, int from, int to, double t)
{
    enum { N = 8 };
    const int n = N;
    fd_coef c = fd_law(p, t, 0), swap = c;
    double z[N], w[N], s = sqrt(c.v), D[N];
    case_begin(q, VALID, from == FD_V || to == FD_V ? "[v sec. 4]" : to == FD_SCORE ? "[DDO th. 2]"
               : "[EDM eq. 2]",
               "", "%s from %s; the score is C grad log p", says_name[to], says_name[from]);
    const fd_real *x = normals(q, n);
    put_in(q, "x", 1, &n, x);
    fd_real *y = normals(q, n), *r = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    put_in(q, "y", 1, &n, y);
    param_text(q, "from", says_name[from]);
    param_text(q, "to", says_name[to]);
    param(q, "m", c.m), param(q, "v", c.v), param(q, "dm", c.dm), param(q, "dv", c.dv);
    memcpy(r, y, sizeof *y * N);
    fd_convert(p, from, to, 1, x, &t, r, q->mem);
    need(q->mem.st);
    for (int i = 0; i < N; i++) {
        D[i] = says_d(from, c, s, (double)x[i], (double)y[i]);
        z[i] = says_of(to, c, s, (double)x[i], D[i]);
    }
    agree(q, N, r, z);
    put_out(q, "z", 1, &n, r);
    for (int i = 0; i < N; i++) w[i] = -z[i];
    fault(q, to == FD_VELOCITY ? "other-direction" : "sign", "z", w);
    for (int i = 0; i < N; i++) w[i] = -says_of(FD_NOISE, c, s, (double)x[i], D[i]);
    if (to == FD_SCORE) fault(q, "noise-as-score", "z", w);
    for (int i = 0; i < N; i++)
        w[i] = says_of(to, c, c.v, (double)x[i], says_d(from, c, c.v, (double)x[i], (double)y[i]));
    fault(q, "variance", "z", w);
    swap.m = s, swap.v = c.m * c.m;
    for (int i = 0; i < N; i++)
        w[i] = says_of(to, swap, c.m, (double)x[i], says_d(from, swap, c.m, (double)x[i],
                                                           (double)y[i]));
    fault(q, "swapped", "z", w);
    case_end(q);
}

/* says_cov -- the score in front of which stands C, from grad log p: C as a matrix of a kernel. */
static inline void says_cov(casebook *q)
{
    enum { N = 8 };
    const int n[2] = { N, N };
    double kernel[N * N], z[N], w[N];
    case_begin(q, VALID, "[DDO th. 2]", "Normalisation", "C grad log p from grad log p, the "
               "gradient in L2: "
               "(C g)_i = sum_j kernel_ij g_j / n");
    fd_space s = fd_grid(&q->mem, 1, n, NULL, NULL, 1);
    fd_cov *c = fd_cov_matern(&q->mem, &s, 1, .2, 1.5);
    const fd_real *g = normals(q, N);
    fd_real *y = fd_raw(&q->mem, fd_real, N);
    need(q->mem.st);
    kernel_matrix(q, c, kernel);
    fd_cov_pow(c, 1, 1, g, y, q->mem);
    need(q->mem.st);
    for (int i = 0; i < N; i++) {
        z[i] = w[i] = 0;
        for (int j = 0; j < N; j++) z[i] += kernel[i * N + j] * (double)g[j] / N;
    }
    agree(q, N, y, z);
    param_text(q, "from", "gradient");
    param_text(q, "to", "score");
    put_in(q, "x", 1, n, g);
    put_in(q, "y", 1, n, g);
    put_in_d(q, "kernel", 2, n, kernel);
    put_out(q, "z", 1, n, y);
    put_other(q, 0, "not-preconditioned", "z", g);
    for (int i = 0; i < N; i++) w[i] = z[i] * N;
    fault(q, "no-quadrature", "z", w);
    case_end(q);
}

/* says_none -- x0 from noise where m = 0: nothing of x0 is left in x. */
static inline void says_none(casebook *q)
{
    const int n = 8;
    case_begin(q, INVALID, "[EDM eq. 2]", "Edge", "x0 from noise where m = 0: x knows nothing of "
               "x0");
    const fd_real *x = normals(q, n), *y = normals(q, n);
    put_in(q, "x", 1, &n, x);
    put_in(q, "y", 1, &n, y);
    param_text(q, "from", "noise");
    param_text(q, "to", "x0");
    param(q, "m", 0), param(q, "v", 1), param(q, "dm", -1), param(q, "dv", 2);
    put_out(q, "z", 1, &n, x);
    case_end(q);
}

static inline void group_parametrisations(casebook *q)
{
    if (!group_begin(q, "parametrisations", "x0, noise, score, v, velocity: each from "
                     "each")) return;
    fd_space g = fd_grid(&q->a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_white(&q->a, &g, 1, 0);
    fd_process vp = fd_vp(noise, .1, 20), flow = fd_flow(noise, 1e-4);
    need(q->a.st);
    for (int from = FD_X0; from <= FD_VELOCITY; from++)
        for (int to = FD_X0; to <= FD_VELOCITY; to++)
            if (from != to) says_case(q, to == FD_VELOCITY || from == FD_VELOCITY ? &flow : &vp,
                                      from, to, .3);
    says_cov(q);
    says_none(q);
    group_end(q);
}

/* ---- Steps of samplers ----------------------------------------------------------------------- */

/* row_drift -- ax, aD of x + h (a x + part q S), S = -(x - m D)/v, a, q, m, v at t. */
static inline void row_drift(fd_coef T, double h, double part, double r[3])
{
    r[0] = 1 + h * (drift_of(T) - part * rate_of(T) / T.v);
    r[1] = h * part * rate_of(T) * T.m / T.v;
}

/* row_case -- the row x' = ax x + aD D + sd xi of a scheme, from t to s. */
static inline void row_case(casebook *q, const fd_process *p, const char *process, int scheme,
                            double eta, double t, double s)
{
    const int three = 3;
    fd_row r = fd_step_row(p, scheme, eta, t, s, 0, q->a.st);
    fd_coef T = fd_law(p, t, 0), S = fd_law(p, s, 0);
    double h = t - s, k = T.m / S.m, vts = T.v - k * k * S.v, y[3] = { r.ax, r.aD, r.sd }, z[3];
    int drift = scheme == FD_EULER_MARUYAMA || scheme == FD_PF_EULER || scheme == FD_ETA_EULER;
    int large = scheme == FD_ANCESTRAL_LARGE, posterior = scheme == FD_ANCESTRAL;
    need(q->a.st);
    case_begin(q, VALID, scheme < FD_ETA_EULER ? "[SDE eqs. 6, 13]" : posterior || large
               ? "[DDPM eqs. 6, 7]"
               : scheme == FD_DDIM ? "[DDIM eqs. 12, 16]" : "", "",
               "%s from t to s of %s: x' = ax x + aD D + sd xi",
               fd_scheme_name(scheme), process);
    param_text(q, "scheme", fd_scheme_name(scheme));
    param_text(q, "process", process);
    param(q, "eta", eta), param(q, "t", t), param(q, "s", s);
    if (!strcmp(process, "vp")) param(q, "b0", .1), param(q, "b1", 20);
    else param(q, "smin", *process == 'f' ? 1e-4 : .01);
    if (!strcmp(process, "ve")) param(q, "smax", 50);
    const double at_t[] = { T.m, T.v, drift_of(T), rate_of(T) }, at_s[] = { S.m, S.v, drift_of(S),
        rate_of(S) };
    put_in_d(q, "at_t", 1, (int[]){ 4 }, at_t);
    put_in_d(q, "at_s", 1, (int[]){ 4 }, at_s);
    put_out_d(q, "row", 1, &three, y);
    memcpy(z, y, sizeof z);
    z[2] = y[2] * y[2];
    fault(q, "variance", "row", z);
    z[2] = 0;
    fault(q, "no-noise", "row", z);
    z[2] = sqrt(2) * y[2];
    fault(q, "root-2", "row", z);
    z[2] = y[2] / sqrt(2);
    fault(q, "no-root-2", "row", z);
    if (drift) {
        double e2 = scheme == FD_EULER_MARUYAMA ? 1 : scheme == FD_PF_EULER ? 0 : eta * eta;
        double part = .5 + .5 * e2;
        row_drift(T, h, part, z);
        z[2] = sqrt(e2 * rate_of(T) * h);
        agree(q, 3, q->out[0].x, z);
        z[2] = y[2];
        row_drift(S, h, part, z);
        fault(q, "coefficients-late", "row", z);
        row_drift(T, h, part == 1 ? .5 : 1, z);
        fault(q, part == 1 ? "ode-for-sde" : "sde-for-ode", "row", z);
    }
    memcpy(z, y, sizeof z);
    z[2] = sqrt(posterior ? vts : S.v * vts / T.v);
    if (posterior) fault(q, "forward-variance", "row", z);
    if (large) fault(q, "posterior-variance", "row", z);
    case_end(q);
}

/* row_none -- a step of the reverse SDE from pure noise of a flow: it has no drift there. */
static inline void row_none(casebook *q)
{
    const double at_t[] = { 0, 1, INFINITY, INFINITY }, at_s[] = { .1, .81, 10, 18 },
        none[3] = { 1, 0, 0 };
    case_begin(q, INVALID, "[SDE eq. 6]", "Edge", "euler-maruyama from t = 1 of flow, where m = 0: "
               "a and q are infinite");
    param_text(q, "scheme", "euler-maruyama");
    param_text(q, "process", "flow");
    param(q, "eta", 0), param(q, "t", 1), param(q, "s", .9), param(q, "smin", 0);
    put_in_d(q, "at_t", 1, (int[]){ 4 }, at_t);
    put_in_d(q, "at_s", 1, (int[]){ 4 }, at_s);
    put_out_d(q, "row", 1, (int[]){ 3 }, none);
    case_end(q);
}

static inline void group_schemes(casebook *q)
{
    if (!group_begin(q, "schemes", "every sampler of one evaluation a step, as a row of three "
                     "numbers")) return;
    fd_space g = fd_grid(&q->a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_white(&q->a, &g, 1, 0);
    fd_process vp = fd_vp(noise, .1, 20), ve = fd_ve(noise, .01, 50), flow = fd_flow(noise, 1e-4);
    need(q->a.st);
    for (int scheme = 0; scheme < FD_ONE_STAGE; scheme++) {
        double eta = scheme == FD_ETA_EULER || scheme == FD_DDIM ? .6 : 0;
        if (scheme != FD_VE_PREDICTOR) row_case(q, &vp, "vp", scheme, eta, .62, .6);
        if (scheme != FD_VP_PREDICTOR) row_case(q, &ve, "ve", scheme, eta, .5, .47);
        if (scheme < FD_VE_PREDICTOR) row_case(q, &flow, "flow", scheme, eta, .4, .37);
    }
    row_case(q, &vp, "vp", FD_DDIM, 0, .3, .27);
    row_case(q, &vp, "vp", FD_DDIM, 1, .3, .27);
    row_none(q);
    group_end(q);
}
#endif
