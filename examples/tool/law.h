/* law.h -- the law of what a sampler makes of Gaussian data, without sampling; for fd.c, choice.c.
 *
 * With a Gaussian model a step is affine in each mode, x' = A x + S xi. The shipped step is given
 * two functions, sum_k sqrt(P_k) e_k without noise and 0 with the noise sum_k sqrt(lam_k) e_k; what
 * comes out has the coefficients A_k sqrt(P_k) and S_k sqrt(lam_k), so that
 *
 *     P'_k = (A_k sqrt(P_k))^2 + (S_k sqrt(lam_k))^2
 *
 * is the variance after the step: two functions a step, all modes at once, no formula of a scheme.
 * Rounding is that of fd_real, relative to the largest sqrt(P_k). */
#ifndef LAW_H
#define LAW_H
#include "common.h"

/* law_put, law_get -- x[points] with coefficients sqrt(var_k); var_k = sum of u_k^2 over b. */
static inline void law_put(const fd_space *s, const double *var, fd_real *x, fd_arena a)
{
    for (ptrdiff_t k = 0; k < s->modes; k++) x[k] = (fd_real)sqrt(var[k]);
    fd_from_modes(s, 1, x, x, a);
}

static inline void law_get(const fd_space *s, int b, const fd_real *x, double *var, fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, b * fd_size(s));
    if (!u) return;
    fd_to_modes(s, b, x, u, a);
    memset(var, 0, (size_t)s->modes * sizeof *var);
    for (int i = 0; i < b; i++)
        for (ptrdiff_t k = 0; k < s->modes; k++)
            var[k] += (double)u[i * s->modes + k] * (double)u[i * s->modes + k];
}

/* law_start -- the variances that a sampler starts from. */
static inline void law_start(const fd_sampler *how, double *var)
{
    const fd_cov *c = how->p->noise;
    for (ptrdiff_t k = 0; k < c->s.modes; k++) {
        fd_coef f = fd_law(how->p, how->t[0], k);
        var[k] = (how->start == FD_START_UNIT ? 1 : f.v) * c->lam[k];
        if (how->start == FD_START_MATCHED && how->cov) var[k] += f.m * f.m * how->cov->lam[k];
    }
}

/* law_run -- var[modes] from t[0] through all steps, one channel, mean 0. pf-multistep and
 * pf-adaptive look further than one step and are given the whole run: they have no noise. Churn and
 * the corrector FD_CORRECT_SNR, which is not affine, are the caller's to exclude. */
static inline void law_run(const fd_sampler *how, double *var, fd_arena a)
{
    const fd_cov *c = how->p->noise;
    const fd_space *s = &c->s;
    ptrdiff_t n = s->points;
    int inner = how->inner > 0 ? how->inner : 1, hold = how->scheme == FD_ANNEALED;
    if (how->scheme == FD_PF_MULTISTEP || how->scheme == FD_PF_ADAPTIVE) {
        fd_run *run = fd_begin(&a, how, fd_seed(1), 0, 1);
        if (!run) return;
        law_put(s, var, run->x, a);
        while (fd_step(run, a)) { }
        law_get(s, 1, run->x, var, a);
        return;
    }
    fd_real *x = fd_new(&a, fd_real, 2 * n), *xi = fd_new(&a, fd_real, 2 * n);
    fd_real *y = fd_new(&a, fd_real, n);
    if (!y) return;
    law_put(s, c->lam, xi + n, a);
    for (int i = 0; i < how->steps && !a.st->code; i++) {
        double t = how->t[i], e = how->t[i + 1];
        int last = i + 1 == how->steps, early = how->corrector && (how->before || hold);
        int late = how->corrector && (!how->before || hold) && (!hold || last)
                && fd_law(how->p, e, 0).v > 0;
        for (int j = 0; j < early * inner + 1 + late * inner; j++) {
            law_put(s, var, x, a);
            memset(x + n, 0, (size_t)n * sizeof *x);
            if (j < early * inner) fd_correct(how, t, 2, x, xi, NULL, a);
            else if (j == early * inner) fd_advance(how, t, e, 2, x, xi, NULL, a);
            else fd_correct(how, e, 2, x, xi, NULL, a);
            if (a.st->code) return;
            law_get(s, 2, x, var, a);
        }
    }
    double end = how->t[how->steps];
    if (!how->denoise || !(fd_law(how->p, end, 0).v > 0)) return;
    law_put(s, var, x, a);
    fd_predict(&how->model, FD_X0, how->p, 1, x, &end, y, a);
    law_get(s, 1, y, var, a);
}

/* law_exact -- the variances of X_t for data of covariance c0. */
static inline void law_exact(const fd_process *p, const fd_cov *c0, double t, double *var)
{
    for (ptrdiff_t k = 0; k < c0->s.modes; k++) {
        fd_coef f = fd_law(p, t, k);
        var[k] = p->noise->lam[k] > 0 ? f.m * f.m * c0->lam[k] + f.v * p->noise->lam[k] : 0;
    }
}

/* law_wave -- the wavenumber of mode k, as fd_spectrum has it. */
static inline double law_wave(const fd_space *s, ptrdiff_t k)
{
    int j[3];
    double sum = 0;
    fd_mode(s, k, j);
    for (int i = 0; i < s->nd; i++) {
        double w = s->bc[i] == FD_PERIODIC ? (j[i] + 1) / 2 : s->bc[i] == FD_NEUMANN ? j[i]
                 : s->bc[i] == FD_DIRICHLET ? j[i] + 1 : j[i] + 0.5;
        sum += w * w;
    }
    return sqrt(sum);
}
#endif
