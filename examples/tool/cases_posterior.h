/* cases_posterior.h -- cases of fd vectors: Langevin dynamics and posteriors. */
#ifndef CASES_POSTERIOR_H
#define CASES_POSTERIOR_H
#include "vectors.h"

/* ---- Langevin dynamics ----------------------------------------------------------------------- */

/* langevin_case -- x + h (s - C g) + sqrt(2 h) xi, by fd_langevin with a model that says s. */
typedef struct { const fd_real *s; const fd_real *g; } told;
static inline void told_score(const void *self, const fd_space *s, int b, const fd_real *x,
                              const double *t, fd_real *y, fd_arena scratch)
{
    (void)x, (void)t, (void)scratch;
    memcpy(y, ((const told *)self)->s, (size_t)(b * s->points) * sizeof *y);
}
static inline double told_slope(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                                fd_arena scratch)
{
    (void)x, (void)scratch;
    if (g) memcpy(g, ((const told *)self)->g, (size_t)s->points * sizeof *g);
    return 0;
}

static inline void langevin_case(casebook *q, double h, int data)
{
    enum { N = 8 };
    static const struct { const char *id; double drift, noise, cov, score; } wrong[] = {
        { "no-root-2", 1, .7071067811865475, 1, 1 }, { "half-drift", .5, 1, 1, 1 },
            { "no-noise", 1, 0, 1, 1 },
        { "no-covariance", 1, 1, 0, 1 }, { "no-quadrature", 1, 1, N, 1 }, { "sign", -1, 1, 1, 1 },
        { "noise-as-score", 1, 1, 1, 0 } };
    const int n[2] = { N, N };
    const double v = .3;
    double kernel[N * N], z[N], cg[N];
    case_begin(q, VALID, "[Survey eq. 5.4]", data ? "Posterior" : "",
               "one step x + h (s - C g) + sqrt(2 h) xi, s the score "
               "with C in front%s", data ? ", g the gradient of the misfit in L2"
               : "; no data, g = 0");
    fd_space s = fd_grid(&q->mem, 1, n, NULL, NULL, 1);
    fd_cov *c = fd_cov_matern(&q->mem, &s, 1, .2, 1.5);
    fd_process p = fd_driftless(c, 1);
    fd_real *in[4], *y = fd_raw(&q->mem, fd_real, N);
    static const char *const name[4] = { "x", "s", "g", "xi" };
    need(q->mem.st);
    for (int i = 0; i < 4; i++) {
        in[i] = normals(q, N);
        for (int j = 0; j < N && i == 2 && !data; j++) in[i][j] = 0;
        put_in(q, name[i], 1, n, in[i]);
    }
    kernel_matrix(q, c, kernel);
    put_in_d(q, "kernel", 2, n, kernel);
    param_text(q, "want", "langevin");
    param(q, "h", h), param(q, "v", v);
    told says = { in[1], in[2] };
    fd_model m = { .predicts = FD_SCORE, .eval = told_score, .self = &says };
    fd_potential phi = { told_slope, &says };
    memcpy(y, in[0], sizeof *y * N);
    fd_langevin(&p, &m, &phi, v, h, 1, 1, y, in[3], q->mem);
    need(q->mem.st);
    for (int i = 0; i < N; i++) {
        cg[i] = 0;
        for (int j = 0; j < N; j++) cg[i] += kernel[i * N + j] * (double)in[2][j] / N;
        z[i] = (double)in[0][i] + h * ((double)in[1][i] - cg[i]) + sqrt(2 * h) * (double)in[3][i];
    }
    agree(q, N, y, z);
    put_out(q, "y", 1, n, y);
    for (int f = 0; f < COUNT(wrong); f++) {
        for (int i = 0; i < N; i++) {
            double g = wrong[f].cov ? wrong[f].cov * cg[i] : (double)in[2][i];
            double score = (double)in[1][i] * (wrong[f].score ? 1 : sqrt(v));
            z[i] = (double)in[0][i] + wrong[f].drift * h * (score - g)
                 + wrong[f].noise * sqrt(2 * h) * (double)in[3][i];
        }
        fault(q, wrong[f].id, "y", z);
    }
    case_end(q);
}

/* annealed_case -- a step of the corrector at a level, x + alpha/2 s + sqrt(alpha) xi, alpha by the
 * scale-free rule or DDO's. */
static inline void annealed_case(casebook *q, int ladder)
{
    enum { N = 8 };
    const int n = N;
    const double v[2] = { .01, 2 }, prm = ladder ? 2e-5 : 2e-3;
    double z[N], alpha = prm * (ladder ? pow(v[1] / v[0], 2) : v[1]);
    const double other = prm / (ladder ? v[0] : 1) * (ladder ? v[1] : v[1] * v[1] / v[0]);
    const struct { const char *id; double drift, noise, score; } wrong[] = {
        { ladder ? "standard-rule" : "ladder-rule", other, other, 1 },
        { "no-root-2", alpha, alpha / 2, 1 }, { "noise-as-score", alpha, alpha, sqrt(v[1]) },
        { "root-2", alpha, 2 * alpha, 1 }, { "half-drift", alpha, alpha, .5 } };
    case_begin(q, VALID, ladder ? "[DDO alg. 1]" : "[Thesis alg. 1]", "Levels",
               "annealed Langevin at a level: x + alpha/2 s "
               "+ sqrt(alpha) xi, alpha = %s", ladder ? "eps (v/v_end)^2" : "eps v");
    fd_space s = fd_grid(&q->mem, 1, &n, NULL, NULL, 1);
    fd_process p = fd_driftless(fd_cov_white(&q->mem, &s, 1, 0), 4);
    fd_real *in[3], *y = fd_raw(&q->mem, fd_real, N), *d = fd_raw(&q->mem, fd_real, N);
    static const char *const name[3] = { "x", "s", "xi" };
    need(q->mem.st);
    for (int i = 0; i < 3; i++) put_in(q, name[i], 1, &n, in[i] = normals(q, N));
    param_text(q, "want", "annealed");
    param_text(q, "rule", ladder ? "ladder" : "scaled");
    param(q, "eps", prm), param(q, "v", v[1]), param(q, "v_end", v[0]);
    told says = { in[1], NULL };
    fd_sampler how = { .p = &p, .model = { .predicts = FD_SCORE, .eval = told_score,
                                          .self = &says },
                       .t = (double[]){ v[1], v[0] }, .steps = 1, .scheme = FD_ANNEALED,
                           .cprm = prm,
                       .corrector = ladder ? FD_CORRECT_LADDER : FD_CORRECT_SCALED };
    memcpy(y, in[0], sizeof *y * N);
    fd_correct(&how, v[1], 1, y, in[2], d, q->mem);
    need(q->mem.st);
    for (int i = 0; i < N; i++)
        z[i] = (double)in[0][i] + alpha / 2 * (double)in[1][i] + sqrt(alpha) * (double)in[2][i];
    agree(q, N, y, z);
    put_out(q, "y", 1, &n, y);
    for (int f = 0; f < COUNT(wrong); f++) {
        for (int i = 0; i < N; i++)
            z[i] = (double)in[0][i] + wrong[f].drift / 2 * wrong[f].score * (double)in[1][i]
                 + sqrt(wrong[f].noise) * (double)in[2][i];
        fault(q, wrong[f].id, "y", z);
    }
    case_end(q);
}

static inline void group_langevin(casebook *q)
{
    if (!group_begin(q, "langevin", "steps of Langevin dynamics with the covariance in "
                     "front")) return;
    langevin_case(q, .01, 0), langevin_case(q, .01, 1), langevin_case(q, .2, 1);
    annealed_case(q, 0), annealed_case(q, 1);
    group_end(q);
}

/* ---- Posteriors ------------------------------------------------------------------------------ */

enum { POST_N = 16, POST_M = 4 };
static const ptrdiff_t post_at[POST_M] = { 2, 3, 8, 13 };

/* plain_posterior -- mean, deviation and evidence by the matrix k of the prior's kernel, the points
 * observed with the variance g. */
static inline void plain_posterior(fd_status *st, const double *k, const double *y, double g,
                                   double *mean, double *sd, double *evidence)
{
    double S[POST_M * POST_M], r[POST_M], log_det = 0, square = 0;
    for (int i = 0; i < POST_M * POST_M; i++)
        S[i] = k[post_at[i / POST_M] * POST_N + post_at[i % POST_M]] + (i % (POST_M + 1) ? 0 : g);
    fd_cholesky(st, POST_M, S);
    memcpy(r, y, sizeof r);
    fd_solve_lower(POST_M, S, 0, r);
    for (int i = 0; i < POST_M; i++) {
        log_det += log(S[i * POST_M + i]);
        square += r[i] * r[i];
    }
    fd_solve_lower(POST_M, S, 1, r);
    *evidence = -square / 2 - log_det - .5 * POST_M * log(2 * acos(-1));
    for (int p = 0; p < POST_N; p++) {
        double c[POST_M], less = 0;
        mean[p] = 0;
        for (int i = 0; i < POST_M; i++) {
            c[i] = k[p * POST_N + post_at[i]];
            mean[p] += c[i] * r[i];
        }
        fd_solve_lower(POST_M, S, 0, c);
        for (int i = 0; i < POST_M; i++) less += c[i] * c[i];
        sd[p] = sqrt(fmax(0, k[p * POST_N + p] - less));
    }
}

/* post_begin -- what both kinds of cases are given: the kernel, the places, y. */
static inline double *post_begin(casebook *q, const fd_cov *c, double sd, double y[POST_M])
{
    const int n[2] = { POST_N, POST_N }, m = POST_M;
    double *k = doubles(q, POST_N * POST_N), at[POST_M];
    kernel_matrix(q, c, k);
    const fd_real *z = normals(q, POST_M);
    for (int i = 0; i < POST_M; i++) y[i] = (double)z[i], at[i] = (double)post_at[i];
    put_in_d(q, "kernel", 2, n, k);
    put_in_d(q, "index", 1, &m, at);
    put_in(q, "y", 1, &m, z);
    param(q, "sd", sd);
    for (int i = 0; i < POST_N * POST_N; i++) k[i] = (double)q->in[q->ins - 3].x[i];
    return k;
}

static inline void posterior_case(casebook *q, fd_cov *(*law)(fd_arena *, const fd_space *, double,
                                                              double), double sd,
                                  const char *name)
{
    static const char *const id[4] = { "", "deviation", "noise-ignored", "extra-quadrature" };
    const int n = POST_N, one = 1;
    case_begin(q, VALID, "", "Posterior Normalisation", "values at four of 16 points with noise of "
               "deviation %g, prior %s: "
               "mean, deviation, log density of y", sd, name);
    q->tol = fmax(20 * q->tol, 1e-6);              /* roots of what is 0 but for rounding */
    fd_space s = fd_grid(&q->mem, 1, &n, NULL, NULL, 1);
    fd_cov *c = law(&q->mem, &s, 1, .2);
    need(q->mem.st);
    double y[POST_M], mean[POST_N], std[POST_N], logp;
    param_text(q, "want", "posterior");
    double *k = post_begin(q, c, sd, y), *scaled = doubles(q, POST_N * POST_N);
    fd_obs o = fd_obs_pick(&q->mem, &s, POST_M, post_at);
    fd_obs_noise(&q->mem, &o, sd);
    fd_posterior *post = fd_posterior_new(&q->mem, NULL, c, &o, y);
    fd_real *dev = fd_raw(&q->mem, fd_real, POST_N);
    need(q->mem.st);
    fd_posterior_std(post, dev, q->mem);
    need(q->mem.st);
    plain_posterior(q->a.st, k, y, sd * sd, mean, std, &logp);
    agree(q, POST_N, post->mean, mean);
    agree(q, POST_N, dev, std);
    put_out(q, "mean", 1, &n, post->mean);
    put_out(q, "sd", 1, &n, dev);
    put_out_d(q, "evidence", 1, &one, &post->evidence);
    for (int i = 0; i < POST_N * POST_N; i++) scaled[i] = k[i] / POST_N;
    for (int f = 1; f < 4; f++) {
        plain_posterior(q->a.st, f == 3 ? scaled : k, y, f == 1 ? sd : f == 2 ? 0 : sd * sd,
                        mean, std, &logp);
        fault(q, id[f], "mean", mean);
        fault(q, id[f], "sd", std);
        fault(q, id[f], "evidence", &logp);
    }
    memset(mean, 0, sizeof mean);
    for (int i = 0; i < POST_M; i++) mean[post_at[i]] = y[i];
    fault(q, "replaced", "mean", mean);
    for (int p = 0; p < POST_N; p++) std[p] = sqrt(k[p * POST_N + p]),
        mean[p] = (double)dev[p] * (double)dev[p];
    fault(q, "prior-spread", "sd", std);
    fault(q, "variance", "sd", mean);
    logp = post->evidence + .5 * POST_M * log(2 * acos(-1));
    fault(q, "no-constant", "evidence", &logp);
    need(q->a.st);
    case_end(q);
}

/* gradient_case -- C grad of 1/2 |y - A x|^2/sd^2: what guidance and Langevin dynamics add. */
static inline void gradient_case(casebook *q, double sd)
{
    const int n = POST_N;
    double y[POST_M], r[POST_M], z[POST_N], w[POST_N];
    case_begin(q, VALID, "[DPS alg. 1]", "Posterior Adjoint",
               "C grad of the misfit |y - A x|^2/(2 sd^2), the gradient in L2");
    fd_space s = fd_grid(&q->mem, 1, &n, NULL, NULL, 1);
    fd_cov *c = fd_cov_exp(&q->mem, &s, 1, .2);
    need(q->mem.st);
    param_text(q, "want", "gradient");
    double *k = post_begin(q, c, sd, y);
    const fd_real *x = normals(q, POST_N);
    put_in(q, "x", 1, &n, x);
    fd_obs o = fd_obs_pick(&q->mem, &s, POST_M, post_at);
    fd_obs_noise(&q->mem, &o, sd);
    fd_real *g = fd_raw(&q->mem, fd_real, POST_N);
    need(q->mem.st);
    fd_obs_misfit(&o, y, x, g, q->mem);
    fd_cov_pow(c, 1, 1, g, g, q->mem);
    need(q->mem.st);
    for (int i = 0; i < POST_M; i++) r[i] = ((double)x[post_at[i]] - y[i]) / (sd * sd);
    for (int p = 0; p < POST_N; p++) {
        z[p] = 0;
        for (int i = 0; i < POST_M; i++) z[p] += k[p * POST_N + post_at[i]] * r[i];
    }
    agree(q, POST_N, g, z);
    put_out(q, "g", 1, &n, g);
    for (int p = 0; p < POST_N; p++) w[p] = z[p] / POST_N;
    fault(q, "extra-quadrature", "g", w);
    for (int p = 0; p < POST_N; p++) w[p] = -z[p];
    fault(q, "sign", "g", w);
    for (int p = 0; p < POST_N; p++) w[p] = z[p] * sd;
    fault(q, "deviation", "g", w);
    memset(w, 0, sizeof w);
    for (int i = 0; i < POST_M; i++) w[post_at[i]] = r[i];
    fault(q, "no-covariance", "g", w);
    case_end(q);
}

static inline fd_cov *post_rough(fd_arena *a, const fd_space *s, double var, double l)
{
    return fd_cov_exp(a, s, var, l);
}
static inline fd_cov *post_smooth(fd_arena *a, const fd_space *s, double var, double l)
{
    return fd_cov_matern(a, s, var, l, 1.5);
}

static inline void group_posteriors(casebook *q)
{
    if (!group_begin(q, "posteriors", "exact posteriors of Gaussian priors, and gradients of the "
                     "misfit")) return;
    posterior_case(q, post_rough, .2, "exponential");
    posterior_case(q, post_smooth, .5, "Matern 3/2");
    gradient_case(q, .2);
    gradient_case(q, .5);
    group_end(q);
}
#endif
