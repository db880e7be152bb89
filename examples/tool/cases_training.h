/* cases_training.h -- cases of fd vectors: what networks are trained on. */
#ifndef CASES_TRAINING_H
#define CASES_TRAINING_H
#include "loops.h"

enum { LEARN_B = 4, LEARN_LAW = 4 };

/* learn_law -- m, v, m', v' of each time, an input of the case. */
static inline void learn_law(casebook *q, const char *name, const fd_process *p, int b,
                             const double *t, fd_coef c[LEARN_B])
{
    double law[LEARN_B * LEARN_LAW];
    for (int i = 0; i < b; i++) {
        double *at = law + LEARN_LAW * i;
        c[i] = fd_law(p, t[i], 0);
        at[0] = c[i].m, at[1] = c[i].v, at[2] = c[i].dm, at[3] = c[i].dv;
    }
    put_in_d(q, name, 2, (int[]){ b, LEARN_LAW }, law);
}

/* ---- Pairs ----------------------------------------------------------------------------------- */

/* learn_pair -- x and the target of a kind, of given x0 and noise, by the fault id. */
static inline void learn_pair(const char *id, int kind, fd_coef c, double x0, double eps, double *x,
                              double *y)
{
    double m = c.m, s = sqrt(c.v), ds = c.dv / (2 * s);
    if (!strcmp(id, "variance")) s = c.v;
    if (!strcmp(id, "no-root")) m = m * m;
    if (!strcmp(id, "swapped")) m = sqrt(c.v), s = c.m;
    *x = m * x0 + s * eps;
    *y = kind == FD_X0 ? x0 : kind == FD_NOISE ? eps : kind == FD_SCORE ? -eps / s
       : kind == FD_V ? m * eps - s * x0 : -(c.dm * x0 + ds * eps);
    if (!strcmp(id, "sign") || !strcmp(id, "other-direction")) *y = -*y;
    if (!strcmp(id, "noise-as-score")) *y = -eps;
    if (!strcmp(id, "noise-slope")) *y = -c.dm * x0;
}

static inline void learn_pair_case(casebook *q, const fd_process *p, const char *process, int kind)
{
    const char *const wrong[] = { "", "variance", "no-root", "swapped",
        kind == FD_VELOCITY ? "other-direction" : "sign",
        kind == FD_SCORE ? "noise-as-score" : kind == FD_VELOCITY ? "noise-slope" : NULL };
    const double t[LEARN_B] = { .1, .3, .55, .85 };
    const int n = (int)p->noise->s.points, dims[2] = { LEARN_B, n }, b = LEARN_B;
    double x[LEARN_B * LOOP_N], y[LEARN_B * LOOP_N];
    fd_coef c[LEARN_B];
    case_begin(q, VALID, kind == FD_V ? "[v sec. 4]" : kind == FD_VELOCITY
               ? "[FFM code, functional_fm.py]" : "[DDPM alg. 1]", "", "x = m x0 + sqrt(v) eps of "
               "%s, and what a network that says %s should say", process, says_name[kind]);
    param_text(q, "want", "pair");
    param_text(q, "predicts", says_name[kind]);
    learn_law(q, "law", p, b, t, c);
    const fd_real *x0 = normals(q, b * n);
    fd_real *eps = fd_raw(&q->mem, fd_real, b * n), *xt = fd_raw(&q->mem, fd_real, b * n);
    fd_real *u = fd_raw(&q->mem, fd_real, b * n);
    need(q->mem.st);
    fd_perturb(p, fd_stream(fd_seed(q->seed), 'E', (uint32_t)q->number), 0, b, x0, t, xt, eps,
               q->mem);
    fd_target(p, kind, b, x0, eps, t, u, q->mem);
    need(q->mem.st);
    put_in(q, "x0", 2, dims, x0), put_in(q, "eps", 2, dims, eps);
    for (int f = 0; f < COUNT(wrong) && wrong[f]; f++) {
        for (int i = 0; i < b * n; i++)
            learn_pair(wrong[f], kind, c[i / n], (double)x0[i], (double)eps[i], &x[i], &y[i]);
        if (f) fault(q, wrong[f], "x", x), fault(q, wrong[f], "y", y);
        else {
            agree(q, b * n, xt, x), agree(q, b * n, u, y);
            put_out(q, "x", 2, dims, xt), put_out(q, "y", 2, dims, u);
        }
    }
    case_end(q);
}

/* ---- Preconditioning ------------------------------------------------------------------------- */

/* learn_scaled -- with s = sqrt(v)/m and data of deviation sd at each point: what the network sees
 * and should say, and c_skip, c_in, c_out, weight of x/m. */
static inline void learn_scaled(const char *id, fd_coef c, double sd, double x0, double x,
                                double *in, double *y, double of[4])
{
    double s = sqrt(c.v) / c.m, at = x / c.m;
    if (!strcmp(id, "variance")) s = c.v / (c.m * c.m);
    if (!strcmp(id, "data-variance")) sd = sd * sd;
    if (!strcmp(id, "not-divided")) at = x;
    double all = s * s + sd * sd;
    of[0] = sd * sd / all, of[1] = 1 / sqrt(all), of[2] = s * sd / sqrt(all);
    of[3] = 1 / (of[2] * of[2]);
    if (!strcmp(id, "no-skip")) of[0] = 0;
    if (!strcmp(id, "skip-of-noise")) of[0] = s * s / all;
    if (!strcmp(id, "no-weight")) of[3] = 1;
    *in = of[1] * at, *y = (x0 - of[0] * at) / of[2];
    if (!strcmp(id, "raw-target")) *y = x0;
}

static inline void learn_scaled_case(casebook *q, const fd_process *p, const char *process,
                                     double sd)
{
    static const char *const wrong[] = { "", "variance", "data-variance", "not-divided", "no-skip",
                                         "skip-of-noise", "raw-target", "no-weight" };
    const double t[LEARN_B] = { .1, .4, .6, .8 };
    const int n = (int)p->noise->s.points, dims[2] = { LEARN_B, n }, b = LEARN_B;
    double in[LEARN_B * LOOP_N], y[LEARN_B * LOOP_N], of[LEARN_B][4];
    fd_coef c[LEARN_B];
    case_begin(q, VALID, "[EDM eqs. 7, 8; table 1]", "", "preconditioning for %s: what the network "
               "sees and should say, and c_skip, c_in, c_out of x/m and the weight of the loss",
               process);
    q->tol *= 5;
    param_text(q, "want", "precondition");
    param(q, "sd", sd);
    learn_law(q, "law", p, b, t, c);
    const fd_real *x0 = normals(q, b * n), *xt = normals(q, b * n);
    fd_real *u = fd_raw(&q->mem, fd_real, b * n), *v = fd_raw(&q->mem, fd_real, b * n);
    put_in(q, "x0", 2, dims, x0), put_in(q, "x", 2, dims, xt);
    fd_cov *data = fd_cov_white(&q->mem, &p->noise->s, sd * sd / n, 0);
    fd_precond_pair(fd_precond_new(&q->mem, p, NULL, data), b, x0, xt, t, u, v, q->mem);
    need(q->mem.st);
    for (int f = 0; f < COUNT(wrong); f++) {
        for (int i = 0; i < b * n; i++)
            learn_scaled(wrong[f], c[i / n], sd, (double)x0[i], (double)xt[i], &in[i], &y[i],
                         of[i / n]);
        if (f) {
            fault(q, wrong[f], "in", in), fault(q, wrong[f], "y", y);
            fault(q, wrong[f], "c", of[0]);
            continue;
        }
        agree(q, b * n, u, in), agree(q, b * n, v, y);
        put_out(q, "in", 2, dims, u), put_out(q, "y", 2, dims, v);
        put_out_d(q, "c", 2, (int[]){ b, 4 }, of[0]);
    }
    case_end(q);
}

/* ---- Weights and norms ----------------------------------------------------------------------- */

/* learn_error -- the error of a prediction over that of x0. */
static inline double learn_error(fd_coef c, int kind)
{
    double s = sqrt(c.v), ds = c.dv / (2 * s);
    return kind == FD_X0 ? 1 : kind == FD_NOISE ? c.m / s : kind == FD_SCORE ? c.m / c.v
         : kind == FD_V ? c.m * c.m / s + s : fabs(c.dm - ds * c.m / s);
}

static inline void learn_weight_case(casebook *q, const fd_process *p, const char *process,
                                     int rule, int kind)
{
    static const int as[] = { FD_X0, FD_X0, FD_NOISE, FD_V };
    static const char *const of[] = { "itself", "x0", "noise", "v", "likelihood" };
    const double t[LEARN_B] = { .1, .3, .55, .85 };
    const int b = LEARN_B;
    double w[LEARN_B], z[LEARN_B];
    fd_coef c[LEARN_B];
    case_begin(q, VALID, rule == FD_W_LIKELIHOOD ? "[Song et al. 2021]" : "[v sec. 4, eq. 9]", "",
               "weight of the squared error of %s that makes it that of %s, %s", says_name[kind],
               of[rule], process);
    q->tol *= 5;
    param_text(q, "want", "weight");
    param_text(q, "predicts", says_name[kind]);
    param_text(q, "rule", of[rule]);
    learn_law(q, "law", p, b, t, c);
    for (int i = 0; i < b; i++) {
        double own = pow(learn_error(c[i], kind), 2);
        w[i] = fd_time_weight(p, rule, kind, t[i], q->mem.st);
        z[i] = rule == FD_W_LIKELIHOOD ? rate_of(c[i]) * pow(c[i].m / c[i].v, 2) / 2 / own
             : pow(learn_error(c[i], as[rule]), 2) / own;
    }
    need(q->mem.st);
    agree(q, b, reals(q, b, w), z);
    put_out_d(q, "w", 1, &b, w);
    for (int i = 0; i < b; i++) z[i] = 1 / w[i];
    fault(q, "inverse", "w", z);
    for (int i = 0; i < b; i++) z[i] = sqrt(w[i]);
    fault(q, "root", "w", z);
    for (int i = 0; i < b && rule == FD_W_LIKELIHOOD; i++) z[i] = 2 * w[i];
    if (rule == FD_W_LIKELIHOOD) fault(q, "no-half", "w", z);
    for (int i = 0; i < b && rule == FD_W_LIKELIHOOD; i++) z[i] = w[i] / sqrt(rate_of(c[i]));
    if (rule == FD_W_LIKELIHOOD) fault(q, "root-rate", "w", z);
    case_end(q);
}

/* learn_norm -- |r|^2 of coefficients in a norm, by the fault l->id. */
enum { NORMS = 4 };
static const char *const learn_norms[NORMS] = { "h", "cm", "sobolev", "likelihood" };
static inline double learn_norm(const loop *l, int norm, const double *mu, double power, fd_coef c,
                                const double *r)
{
    double sum = 0;
    for (int k = 0; k < l->n; k++) {
        double lam = has(l, "l2-norm") ? 1 : has(l, "multiplied") ? 1 / l->lam[k]
                   : has(l, "deviation") ? sqrt(l->lam[k]) : l->lam[k];
        double w = norm == 0 ? 1 : norm == 2 ? pow(1 + mu[k] / (has(l, "no-2pi") ? TURN * TURN : 1),
                                                   power) : 1 / lam;
        if (norm == 3) w *= rate_of(c) * pow(c.m / c.v, 2) * (has(l, "no-half") ? 1 : .5);
        if (norm != 2 && norm != 0 && !(l->lam[k] > 0)) continue;
        sum += w * r[k] * r[k];
    }
    return has(l, "pixel-norm") ? l->n * sum : has(l, "root") ? sqrt(sum) : sum;
}

static inline void learn_norm_case(casebook *q, int norm, int n)
{
    static const int kinds[NORMS] = { FD_NORM_H, FD_NORM_CM, FD_NORM_SOBOLEV,
                                      FD_NORM_LIKELIHOOD };
    static const char *const wrong[] = { "", "pixel-norm", "root", "l2-norm", "multiplied",
                                         "deviation", "no-2pi", "no-half" };
    const double t = .3, power = norm == 2 ? 1.5 : 0;
    const int one = 1;
    double r[1][LOOP_N], mu[LOOP_N], sum = 0, y;
    loop l;
    fd_coef c[LEARN_B];
    case_begin(q, VALID, norm == 1 ? "[KER code, diffusion/loss.py]" : norm == 3
               ? "[Song et al. 2021 code, losses.py]" : "", n % 2 ? "OddGrid Normalisation"
               : "Nyquist Normalisation", "loss of a residual of x0 in the norm %s",
               learn_norms[norm]);
    q->tol *= 20;
    param_text(q, "want", "norm");
    param_text(q, "norm", learn_norms[norm]);
    param(q, "power", power);
    loop_set w = loop_line(q, &l, n);
    fd_process p = fd_vp(w.noise, .1, 20);
    learn_law(q, "law", &p, 1, &t, c);
    for (int k = 0; k < n; k++) fd_wave(&w.s, k, &mu[k]);
    put_in_d(q, "mu", 1, &n, mu);
    const fd_real *x = loop_functions(q, &l, "r", 1, r);
    fd_real *z = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    memcpy(z, x, (size_t)n * sizeof *z);
    fd_loss_weigh(&p, kinds[norm], power, FD_X0, 1, &t, z, q->mem);
    need(q->mem.st);
    sum = fd_inner(&w.s, z, z);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        y = learn_norm(&l, norm, mu, power, c[0], r[0]);
        if (f) fault(q, wrong[f], "loss", &y);
        else {
            agree(q, 1, reals(q, 1, &sum), &y);
            put_out_d(q, "loss", 1, &one, &sum);
        }
    }
    case_end(q);
}

/* ---- One step -------------------------------------------------------------------------------- */

/* learn_mean -- the average velocity of a mode from t to r, of which T and R are the laws. */
static inline double learn_mean(const loop *l, int k, fd_coef T, fd_coef R, double h, double x)
{
    double P = T.m * T.m * l->c[k] + T.v * l->lam[k], Q = R.m * R.m * l->c[k] + R.v * l->lam[k];
    double M = l->mean[k], off = x - T.m * M, to = R.m * M + (P > 0 ? sqrt(Q / P) : 0) * off;
    double slope = T.m * T.dm * l->c[k] + T.dv * l->lam[k] / 2;
    if (has(l, "not-averaged")) return T.dm * M + (P > 0 ? slope / P : 0) * off;
    double u = (x - to) / (has(l, "displacement") ? 1 : h);
    return has(l, "other-direction") ? -u : u;
}

/* learn_mean_case -- the average velocity from t to r < t along the flow of an exact model. */
static inline void learn_mean_case(casebook *q, const fd_process *p, const char *process)
{
    static const char *const wrong[] = { "", "other-direction", "not-averaged", "displacement" };
    const double t[LEARN_B] = { 1, .8, .5, .9 }, r[LEARN_B] = { .02, .1, .3, .6 };
    const int n = (int)p->noise->s.points, dims[2] = { LEARN_B, n }, b = LEARN_B;
    double x[LEARN_B][LOOP_N], u[LEARN_B][LOOP_N], want[LEARN_B * LOOP_N];
    loop l;
    case_begin(q, VALID, "[MeanFlow]", "Nyquist Modal", "average velocity (x_t - x_r)/(t - r) "
               "along the flow of %s, of the exact model of Gaussian data", process);
    q->tol *= 10;
    param_text(q, "want", "average");
    loop_set w = loop_line(q, &l, n);
    const fd_real *px = loop_functions(q, &l, "x", b, x);
    fd_coef T[LEARN_B], R[LEARN_B];
    put_in_d(q, "t", 1, &b, t), put_in_d(q, "r", 1, &b, r);
    learn_law(q, "law", p, b, t, T), learn_law(q, "law_r", p, b, r, R);
    fd_process own = *p;
    own.noise = w.noise;
    fd_real *got = fd_raw(&q->mem, fd_real, b * n);
    need(q->mem.st);
    fd_average_velocity(&own, w.mean, w.data, b, t, r, px, got, q->mem);
    need(q->mem.st);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        for (int i = 0; i < b * n; i++)
            u[i / n][i % n] = learn_mean(&l, i % n, T[i / n], R[i / n], t[i / n] - r[i / n],
                                         x[i / n][i % n]);
        const fd_real *z = loop_points(q, &l, b, u);
        if (f) {
            put_other(q, 0, wrong[f], "u", z);
            continue;
        }
        for (int i = 0; i < b * n; i++) want[i] = (double)z[i];
        agree(q, b * n, got, want);
        put_out(q, "u", 2, dims, z);
    }
    case_end(q);
}

static inline void group_training(casebook *q)
{
    if (!group_begin(q, "training", "pairs, preconditioning, weights, norms of losses, one-step "
                     "targets")) return;
    fd_space odd = fd_grid(&q->a, 1, (int[]){ 7 }, NULL, NULL, 1);
    fd_space even = fd_grid(&q->a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_cov *white = fd_cov_white(&q->a, &odd, 1. / 7, 0), *c = fd_cov_white(&q->a, &even, 1, 0);
    fd_process vp = fd_vp(white, .1, 20), ve = fd_ve(white, .01, 5), flow = fd_flow(white, 1e-3);
    fd_process long_vp = fd_vp(c, .1, 20), long_flow = fd_flow(c, 1e-3);
    need(q->a.st);
    for (int kind = FD_X0; kind <= FD_VELOCITY; kind++)
        learn_pair_case(q, kind == FD_VELOCITY ? &flow : &vp, kind == FD_VELOCITY ? "flow" : "vp",
                        kind);
    learn_scaled_case(q, &ve, "ve", .5), learn_scaled_case(q, &vp, "vp", .7);
    learn_weight_case(q, &vp, "vp", FD_W_NOISE, FD_X0);
    learn_weight_case(q, &vp, "vp", FD_W_X0, FD_NOISE);
    learn_weight_case(q, &vp, "vp", FD_W_V, FD_NOISE);
    learn_weight_case(q, &ve, "ve", FD_W_NOISE, FD_SCORE);
    learn_weight_case(q, &flow, "flow", FD_W_X0, FD_VELOCITY);
    learn_weight_case(q, &vp, "vp", FD_W_LIKELIHOOD, FD_X0);
    learn_weight_case(q, &vp, "vp", FD_W_LIKELIHOOD, FD_SCORE);
    for (int norm = 0; norm < NORMS; norm++) learn_norm_case(q, norm, 8);
    learn_norm_case(q, 1, 7);
    learn_mean_case(q, &long_vp, "vp"), learn_mean_case(q, &long_flow, "flow");
    group_end(q);
}
#endif
