/* cases_guidance.h -- cases of fd vectors: models that are told of observations or of a label. */
#ifndef CASES_GUIDANCE_H
#define CASES_GUIDANCE_H
#include "loops.h"

static const char *const told_name[] = { "", "exact", "pigdm", "dps" };

/* told_denoiser -- D of each mode, and v/m dD/dx in J. */
static inline void told_denoiser(const loop *l, fd_coef f, const double *x, double *D, double *J)
{
    for (int k = 0; k < l->n; k++) {
        double P = f.m * f.m * l->c[k] + f.v * l->lam[k];
        D[k] = P > 0 ? (l->c[k] * f.m * x[k] + f.v * l->lam[k] * l->mean[k]) / P : l->mean[k];
        J[k] = P > 0 ? l->c[k] * f.v / P : 0;
        if (has(l, "no-jacobian")) J[k] = f.v / f.m;
    }
}

/* told_run -- D of x and y by a rule, by the fault l->id; 1: there is none. */
static inline int told_run(const loop *l, fd_coef f, int rule, double zeta, const double *x,
                           double *D)
{
    double J[LOOP_N], cov[LOOP_N], r[LOOP_M];
    told_denoiser(l, f, x, D, J);
    loop_rest(l, D, r);
    for (int k = 0; k < l->n; k++)
        cov[k] = l->lam[k] * (rule == FD_GUIDE_PIGDM ? zeta * f.v : has(l, "prior-variance") ? f.v
                              : J[k]);
    if (isnan(loop_solve(l, rule == FD_GUIDE_DPS ? NULL : cov, r))) return 1;
    for (int k = 0; k < l->n; k++)
        D[k] += (has(l, "sign") ? -1 : 1) * (rule == FD_GUIDE_DPS ? zeta : 1) * loop_back(l, k, r)
              * J[k] * (has(l, "no-covariance") ? 1. / l->n : l->lam[k])
              * (has(l, "no-level") ? f.m / f.v : 1);
    return 0;
}

/* told_put -- the exact model of a case, an x, its law m, v, and the observations. */
static inline const fd_real *told_put(casebook *q, loop *l, loop_set *w, int n, fd_coef f,
                                      double sd, double x[1][LOOP_N], fd_obs *o)
{
    *w = loop_line(q, l, n);
    param(q, "m", f.m), param(q, "v", f.v), param(q, "sd", sd);
    const fd_real *px = loop_functions(q, l, "x", 1, x);
    *o = loop_seen(q, l, w, sd);
    return px;
}

static inline void told_case(casebook *q, int rule, double zeta, double t, double sd, int n)
{
    static const char *const wrong[] = { "", "noise-ignored", "deviation", "sign", "no-covariance",
                                         "prior-variance", "no-jacobian", "no-level" };
    double x[1][LOOP_N], D[1][LOOP_N], want[LOOP_N];
    loop l;
    loop_set w;
    fd_obs o;
    case_begin(q, VALID, rule == FD_GUIDE_DPS ? "[DPS alg. 1]" : rule == FD_GUIDE_PIGDM
               ? "[Pi-GDM]" : "", n % 2 ? "Posterior OddGrid" : "Posterior Nyquist",
               "guidance %s: E[x0 | x] of an exact model, told of noisy values at three points",
               told_name[rule]);
    q->tol *= 10;
    param_text(q, "want", told_name[rule]);
    param(q, "zeta", zeta);
    fd_process p = fd_vp(NULL, .1, 20);
    fd_coef f = fd_law(&p, t, 0);
    const fd_real *px = told_put(q, &l, &w, n, f, sd, x, &o);
    p.noise = w.noise;
    fd_model m = fd_oracle_gauss(&q->mem, &p, w.mean, w.data);
    fd_model told = fd_guided(&q->mem, &(fd_guide){ &p, m, &o, l.y, rule, zeta, 0 });
    fd_real *got = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    fd_predict(&told, FD_X0, &p, 1, px, &t, got, q->mem);
    need(q->mem.st);
    for (int k = 0; k < COUNT(wrong); k++) {
        l.id = wrong[k];
        if (told_run(&l, f, rule, zeta, x[0], D[0])) continue;
        const fd_real *z = loop_points(q, &l, 1, D);
        if (k) put_other(q, 0, wrong[k], "D", z);
        if (k) continue;
        for (int i = 0; i < n; i++) want[i] = (double)z[i];
        agree(q, n, got, want);
        put_out(q, "D", 1, &n, z);
    }
    case_end(q);
}

/* free_case -- a model with and without a label [CFG]. */
static inline void free_case(casebook *q, double scale)
{
    const int n = LOOP_N;
    const double t = .4;
    double y[LOOP_N], z[LOOP_N];
    case_begin(q, VALID, "[CFG]", "", "classifier-free guidance of scale %g: D = Du + scale (Dc - "
               "Du); scale 1 is the conditional model", scale);
    param_text(q, "want", "free");
    param(q, "scale", scale);
    loop_set w = loop_space(&q->mem, n);
    fd_process p = fd_vp(w.noise, .1, 20);
    fd_model u = fd_oracle_gauss(&q->mem, &p, NULL, w.noise);
    fd_model c = fd_oracle_gauss(&q->mem, &p, w.mean, w.data);
    fd_model both = fd_free_guided(&q->mem, &p, c, u, scale);
    const fd_real *x = normals(q, n);
    fd_real *of[3];
    for (int i = 0; i < 3; i++) {
        of[i] = fd_raw(&q->mem, fd_real, n);
        need(q->mem.st);
        fd_predict(i == 0 ? &c : i == 1 ? &u : &both, FD_X0, &p, 1, x, &t, of[i], q->mem);
        need(q->mem.st);
    }
    put_in(q, "Dc", 1, &n, of[0]), put_in(q, "Du", 1, &n, of[1]);
    for (int i = 0; i < n; i++)
        y[i] = (1 - scale) * (double)of[1][i] + scale * (double)of[0][i];
    agree(q, n, of[2], y);
    put_out(q, "D", 1, &n, of[2]);
    for (int i = 0; i < n; i++) z[i] = y[i] + (double)of[0][i] - (double)of[1][i];
    fault(q, "one-more", "D", z);
    for (int i = 0; i < n; i++)
        z[i] = (1 - scale) * (double)of[0][i] + scale * (double)of[1][i];
    fault(q, "models-swapped", "D", z);
    for (int i = 0; i < n; i++)
        z[i] = (double)of[0][i] + scale * (double)of[1][i];
    fault(q, "added", "D", z);
    case_end(q);
}

/* project_case -- the nearest state with A x + e = y in the Cameron-Martin norm. */
static inline void project_case(casebook *q, double sd, int n)
{
    static const char *const wrong[] = { "", "noise-ignored", "deviation", "sign", "no-covariance",
                                         "replaced" };
    const int m = LOOP_M;
    double x[1][LOOP_N], y[1][LOOP_N], e[LOOP_M], own[LOOP_M], r[LOOP_M], want[LOOP_N];
    loop l;
    loop_set w;
    fd_obs o;
    case_begin(q, VALID, "[Pidstrigach]", n % 2 ? "Posterior OddGrid" : "Posterior Nyquist",
               "the nearest x and e with A x + e = y, in the norms of the noises' laws");
    q->tol *= 10;
    param_text(q, "want", "project");
    const fd_real *px = told_put(q, &l, &w, n, (fd_coef){ 1, 1, 0, 0 }, sd, x, &o);
    const fd_real *pe = normals(q, m);
    put_in(q, "e", 1, &m, pe);
    for (int i = 0; i < m; i++) own[i] = (double)pe[i];
    fd_real *got = fd_raw(&q->mem, fd_real, n);
    fd_gain *g = fd_gain_new(&q->mem, &o, w.noise, NULL);
    need(q->mem.st);
    memcpy(got, px, (size_t)n * sizeof *got);
    fd_project(g, 1, l.y, got, own, q->mem);
    need(q->mem.st);
    for (int f = 0; f < COUNT(wrong); f++) {
        l.id = wrong[f];
        int replaced = has(&l, "replaced");
        loop_rest(&l, x[0], r);
        for (int i = 0; i < m; i++) e[i] = (double)pe[i], r[i] -= e[i];
        if (!replaced && isnan(loop_solve(&l, l.lam, r))) continue;
        for (int i = 0; i < m && !replaced; i++) e[i] += loop_noise_of(&l) * r[i];
        for (int k = 0; k < n; k++)
            y[0][k] = x[0][k] + (has(&l, "sign") ? -1 : 1) * loop_back(&l, k, r)
                    * (replaced || has(&l, "no-covariance") ? 1. / n : l.lam[k]);
        const fd_real *z = loop_points(q, &l, 1, y);
        if (f) {
            put_other(q, 0, wrong[f], "x", z), fault(q, wrong[f], "e", e);
            continue;
        }
        for (int i = 0; i < n; i++) want[i] = (double)z[i];
        agree(q, n, got, want), agree(q, m, reals(q, m, own), e);
        put_out(q, "x", 1, &n, z), put_out_d(q, "e", 1, &m, own);
    }
    case_end(q);
}

static inline void group_guidance(casebook *q)
{
    if (!group_begin(q, "guidance", "models told of observations or of a label, "
                     "projections")) return;
    told_case(q, FD_GUIDE_EXACT, 0, .3, .2, 8), told_case(q, FD_GUIDE_EXACT, 0, .5, .5, 7);
    told_case(q, FD_GUIDE_PIGDM, 1, .3, .2, 8), told_case(q, FD_GUIDE_PIGDM, .5, .4, .3, 8);
    told_case(q, FD_GUIDE_DPS, 1, .3, .4, 8), told_case(q, FD_GUIDE_DPS, .3, .2, .2, 7);
    project_case(q, .2, 8), project_case(q, .6, 7);
    free_case(q, 3), free_case(q, .5);
    group_end(q);
}
#endif
