/* cases_samplers.h -- cases of fd vectors: whole loops of samplers, from the start to the last
 * state, for data of a Gaussian law; also given observations, and bridges. */
#ifndef CASES_SAMPLERS_H
#define CASES_SAMPLERS_H
#include "cases_bridges.h"

/* loop_streams -- of which stream of fd_step each row of noise is; returns how many a step. */
static inline int loop_streams(const fd_sampler *how, uint32_t what[LOOP_ROWS],
                               uint32_t which[LOOP_ROWS], int *rows)
{
    int hold = how->scheme == FD_ANNEALED, levels = how->steps + hold, n = 1, inner = 0;
    int noisy = !hold && (how->scheme < FD_DDIM || how->scheme == FD_VE_PREDICTOR
                          || how->scheme == FD_VP_PREDICTOR || how->scheme == FD_STOCHASTIC_HEUN
                          || how->eta > 0);
    if (how->scheme == FD_PF_EULER || (how->scheme == FD_ETA_EULER && !(how->eta > 0))) noisy = 0;
    if (how->corrector) inner = how->inner > 0 ? how->inner : 1;
    what[0] = which[0] = 0;
    for (int k = 0; k < levels; k++) {
        for (int j = 0; j < inner && (how->before || hold); j++)
            what[n] = 'c', which[n++] = (uint32_t)(k * inner + j);
        if (noisy) what[n] = 's', which[n++] = (uint32_t)k + 1;
        if (how->churn > 0) {
            what[n] = 'u', which[n++] = (uint32_t)k + 1;
            what[n] = 'v', which[n++] = (uint32_t)k + 1;
        }
        for (int j = 0; j < inner && !how->before && !hold; j++)
            what[n] = 'c', which[n++] = (uint32_t)(k * inner + j);
    }
    *rows = n;
    return (n - 1) / levels;
}

/* loop_white -- the white noise that fd_cov_draw colours in each of the streams, at the points;
 * what no function has of it, Nyquist's mode, is drawn here. */
static inline void loop_white(casebook *q, loop *l, const fd_cov *c, fd_rng r,
                              const uint32_t *what, const uint32_t *which)
{
    const int n = l->n, dims[2] = { l->rows, n };
    fd_real *z = fd_new(&q->mem, fd_real, l->rows * n), *u = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    for (int draw = 0; draw < l->rows; draw++) {
        const fd_real *own = normals(q, n);
        fd_cov_draw_modes(c, draw ? fd_stream(r, what[draw], which[draw]) : r, 0, 1, u);
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += (c->lam[k] > 0 ? (double)u[k] / sqrt(c->lam[k]) : (double)own[k])
                     * l->e[k][i] / sqrt(n);
            z[draw * n + i] = (fd_real)sum;
        }
        for (int k = 0; k < n; k++) {
            l->z[draw][k] = 0;
            for (int i = 0; i < n; i++)
                l->z[draw][k] += (double)z[draw * n + i] * l->e[k][i] / sqrt(n);
        }
    }
    put_in(q, "z", 2, dims, z);
}

/* loop_agree -- what fd_step makes of the same noise: the states that both have, and the end. */
static inline void loop_agree(casebook *q, const loop *l, const fd_sampler *how, fd_rng r, int rows,
                              const fd_real *path, const fd_real *end)
{
    double *want = fd_raw(&q->mem, double, (rows + 1) * l->n);
    need(q->mem.st);
    for (int i = 0; i < (rows + 1) * l->n; i++)
        want[i] = (double)(i < rows * l->n ? path[i] : end[i - rows * l->n]);
    fd_run *run = fd_begin(&q->mem, how, r, 0, 1);
    need(q->mem.st);
    agree(q, l->n, run->x, want);
    for (int k = 1; k <= how->steps; k++) {
        fd_step(run, q->mem);
        need(q->mem.st);
        if (k < how->steps) agree(q, l->n, run->x, want + k * l->n);
    }
    agree(q, l->n, run->x, want + rows * l->n);
}

static const char *const loop_faults[] = {
    "variance", "no-noise", "root-2", "no-root-2", "white-noise", "no-grid-factor", "nyquist-kept",
    "unit-start", "last-noise", "no-final", "told-late", "reversed-time", "ode-for-sde",
    "sde-for-ode", "coefficients-late", "forward-drift", "noise-as-score", "forward-variance",
    "posterior-variance", "one-stage", "other-direction", "equal-steps", "half-drift",
    "standard-rule", "corrector-first", "corrector-last", "prior-variance", "no-covariance",
    "noise-ignored", "deviation", "sign", "replaced", "grid-norms", "level-off", "stride" };

/* loop_wrong -- the answers by those faults that show: of chains alone the last two. */
static inline void loop_wrong(casebook *q, loop *l, int rows, int chain)
{
    const fd_real *path = q->out[0].x, *end = q->out[1].x;
    for (int f = 0; f < COUNT(loop_faults) - (chain ? 0 : 2); f++) {
        fd_arena before = q->mem;
        loop_run(l, loop_faults[f]);
        fd_real *x = loop_points(q, l, rows, l->path), *y = loop_points(q, l, 1, &l->end);
        double far = difference(rows * l->n, x, path), off = difference(l->n, y, end);
        if (isfinite(far) && isfinite(off) && fmax(far, off) > 20 * q->tol) {
            put_other(q, 0, loop_faults[f], "path", x);
            put_other(q, 0, loop_faults[f], "x0", y);
        } else q->mem = before;
    }
}

/* loop_params -- the sampler, in words and numbers, its times, and the law at these. */
static inline void loop_params(casebook *q, const fd_sampler *how, int chain)
{
    static const char *const corrector[] = { "none", "scaled", "ladder", "snr-band", "snr" };
    const int n[2] = { how->steps + 1, 4 };
    double law[(LOOP_STEPS + 1) * 4];
    param_text(q, "want", "sample");
    param_text(q, "scheme", fd_scheme_name(how->scheme));
    param(q, "eta", how->eta), param(q, "denoise", how->denoise), param(q, "quiet", how->quiet);
    param_text(q, "start", how->start == FD_START_UNIT ? "unit" : "noise");
    param_text(q, "corrector", corrector[how->corrector]);
    if (how->corrector)
        param(q, "cprm", how->cprm), param(q, "inner", how->inner > 0 ? how->inner : 1),
        param(q, "before", how->before);
    if (how->corrector == FD_CORRECT_SNR) param(q, "band", how->band);
    param(q, "churn", how->churn);
    if (how->tdenoise > 0) param(q, "tdenoise", how->tdenoise);
    put_in_d(q, "t", 1, n, how->t);
    for (int i = 0; i <= how->steps; i++) {
        fd_coef f = fd_law(how->p, how->t[i], 0);
        double *at = law + 4 * i;
        at[0] = f.m, at[1] = f.v, at[2] = chain ? 0 : f.dm, at[3] = chain ? 0 : f.dv;
    }
    put_in_d(q, "law", 2, n, law);
}

/* The processes of the cases: their numbers as those of `processes` name them. */
typedef struct { const char *name; fd_process p; const char *key[3]; double v[3]; } loop_process;

/* loop_observe -- the model given noisy values at three points. */
static inline void loop_observe(casebook *q, loop *l, fd_sampler *how, const loop_set *w, double sd)
{
    fd_obs *o = fd_raw(&q->mem, fd_obs, 1);
    need(q->mem.st);
    *o = loop_seen(q, l, w, sd);
    param(q, "sd", sd);
    how->model = fd_guided(&q->mem, &(fd_guide){ how->p, how->model, o, l->y, FD_GUIDE_EXACT, 0,
                                                 0 });
    need(q->mem.st);
}

/* loop_case -- a sampler on n points; sd > 0: given three of them with that noise. */
static inline void loop_case(casebook *q, const loop_process *of, const char *paper, int n,
                             double sd, fd_sampler how)
{
    const int chain = !strcmp(of->name, "ddpm");
    int rows = how.steps + 1 + (how.scheme == FD_ANNEALED);
    uint32_t what[LOOP_ROWS], which[LOOP_ROWS];
    loop l;
    case_begin(q, VALID, paper, sd > 0 ? "Loop Posterior" : n % 2 ? "Loop OddGrid" : chain
               ? "Loop Nyquist Chain" : "Loop Nyquist", "%s of %s, %d step%s%s%s",
               fd_scheme_name(how.scheme), of->name, how.steps, how.steps > 1 ? "s" : "",
               how.corrector && how.scheme != FD_ANNEALED ? " with a corrector" : "",
               sd > 0 ? ", given values at three points" : "");
    q->tol = how.scheme == FD_PF_ADAPTIVE ? 1e-3 : 5 * q->tol;
    memset(&l, 0, sizeof l);
    loop_set w = loop_space(&q->mem, n);
    fd_process p = of->p;
    p.noise = w.noise;
    how.p = &p;
    l.how = &how, l.n = n, l.per = loop_streams(&how, what, which, &l.rows);
    loop_modes(q, &l, &w);
    fd_rng r = fd_stream(fd_seed(q->seed), 'L', (uint32_t)q->number);
    loop_white(q, &l, w.noise, r, what, which);
    param_text(q, "process", of->name);
    for (int i = 0; i < 3 && of->key[i]; i++) param(q, of->key[i], of->v[i]);
    loop_params(q, &how, chain);
    how.model = fd_oracle_gauss(&q->mem, &p, w.mean, w.data);
    need(q->mem.st);
    if (sd > 0) loop_observe(q, &l, &how, &w, sd);
    loop_run(&l, "");
    const fd_real *path = loop_points(q, &l, rows, l.path), *end = loop_points(q, &l, 1, &l.end);
    loop_agree(q, &l, &how, r, rows, path, end);
    put_out(q, "path", 2, (int[]){ rows, n }, path);
    put_out(q, "x0", 1, &n, end);
    loop_wrong(q, &l, rows, chain);
    case_end(q);
}

/* ---- The group ------------------------------------------------------------------------------- */

enum { LOOP_VP, LOOP_VE, LOOP_FLOW, LOOP_DRIFTLESS, LOOP_CHAIN, LOOP_LONG, LOOP_LADDER,
       LOOP_KINDS };

/* loop_one -- schemes of one evaluation a step. */
static inline void loop_one(casebook *q, const loop_process *p)
{
    static const double vp[] = { 1, .7, .4, .15, .02 }, ve[] = { 1, .8, .6, .45, .3 };
    static const double wiener[] = { 4, 3, 2, 1 }, chain[] = { 5, 4, 3, 2, 1, 0 };
    static const double strided[] = { 8, 6, 4, 2, 0 };
    const struct { int of, scheme, steps; const double *t; double eta; int n, denoise, quiet;
                   const char *paper; } way[] = {
        { LOOP_VP, FD_EULER_MARUYAMA, 4, vp, 0, 8, 1, 1, "[SDE eq. 6]" },
        { LOOP_VP, FD_EULER_MARUYAMA, 4, vp, 0, 7, 0, 0, "[SDE eq. 6]" },
        { LOOP_DRIFTLESS, FD_EULER_MARUYAMA, 3, wiener, 0, 8, 1, 0, "[Thesis alg. 3, corrected]" },
        { LOOP_VP, FD_PF_EULER, 4, vp, 0, 8, 0, 0, "[SDE eq. 13]" },
        { LOOP_VP, FD_ETA_EULER, 4, vp, .6, 8, 0, 1, "[EDM eq. 6]" },
        { LOOP_VP, FD_EXPONENTIAL, 4, vp, 0, 8, 1, 0, "[Thesis eq. 2.44]" },
        { LOOP_VP, FD_SEMI_ANALYTIC, 4, vp, 0, 8, 1, 1,
          "[FDP code, predictors/semianalytic_predictor.py]" },
        { LOOP_CHAIN, FD_ANCESTRAL, 5, chain, 0, 8, 0, 0, "[DDPM alg. 2]" },
        { LOOP_CHAIN, FD_ANCESTRAL, 5, chain, 0, 7, 0, 0, "[DDPM alg. 2]" },
        { LOOP_CHAIN, FD_ANCESTRAL_LARGE, 5, chain, 0, 8, 0, 1, "[DDPM alg. 2]" },
        { LOOP_VP, FD_ANCESTRAL, 4, vp, 0, 8, 1, 0, "[DDPM eqs. 6, 7]" },
        { LOOP_VP, FD_ANCESTRAL_OPTIMAL, 4, vp, 0, 8, 0, 0, "" },
        { LOOP_LONG, FD_DDIM, 4, strided, 0, 8, 0, 0, "[DDIM eq. 12]" },
        { LOOP_LONG, FD_DDIM, 4, strided, .7, 8, 0, 0, "[DDIM eqs. 12, 16]" },
        { LOOP_VP, FD_DDIM, 4, vp, 0, 8, 1, 0, "[DDIM eq. 12]" },
        { LOOP_VE, FD_VE_PREDICTOR, 4, ve, 0, 8, 1, 1, "[SDE alg. 2]" },
        { LOOP_VP, FD_VP_PREDICTOR, 4, (double[]){ .5, .42, .33, .25, .2 }, 0, 8, 0, 1,
          "[SDE alg. 3]" } };
    for (int i = 0; i < COUNT(way); i++)
        loop_case(q, &p[way[i].of], way[i].paper, way[i].n, 0, (fd_sampler){ .t = way[i].t,
                  .steps = way[i].steps, .scheme = way[i].scheme, .eta = way[i].eta,
                  .denoise = way[i].denoise, .quiet = way[i].quiet });
}

/* loop_more -- several evaluations a step, correctors, the noise ladder, given observations. */
static inline void loop_more(casebook *q, const loop_process *p)
{
    static const double vp[] = { 1, .7, .4, .15, .02 }, flow[] = { 1, .7, .4, .15, .03 };
    static const double level[] = { 4, 3, 2, 1 }, ve[] = { .7, .55, .4, .3 };
    static const double five[] = { 8, 6, 4, 2, 0 };
    const struct { int of, scheme, steps; const double *t; const char *paper; } way[] = {
        { LOOP_FLOW, FD_PF_EULER, 4, flow, "[FFM]" }, { LOOP_FLOW, FD_PF_HEUN, 4, flow, "[FFM]" },
        { LOOP_FLOW, FD_PF_MIDPOINT, 4, flow, "[FFM]" }, { LOOP_FLOW, FD_PF_RK4, 4, flow, "[FFM]" },
        { LOOP_FLOW, FD_PF_ADAPTIVE, 1, (double[]){ 1, .03 }, "[FFM]" },
        { LOOP_VP, FD_PF_HEUN, 4, vp, "[EDM alg. 1]" },
        { LOOP_VP, FD_STOCHASTIC_HEUN, 4, vp, "" },
        { LOOP_VP, FD_PF_MULTISTEP, 4, vp, "[DPM-Solver++ alg. 2]" } };
    for (int i = 0; i < COUNT(way); i++)
        loop_case(q, &p[way[i].of], way[i].paper, i == 1 ? 7 : 8, 0, (fd_sampler){
                  .t = way[i].t, .steps = way[i].steps, .scheme = way[i].scheme, .rtol = 1e-6,
                  .atol = 1e-6 });
    fd_sampler how = { .t = ve, .steps = 3, .scheme = FD_VE_PREDICTOR, .denoise = 1,
                       .corrector = FD_CORRECT_SNR_GRID, .cprm = .16 };
    loop_case(q, &p[LOOP_VE], "[SDE algs. 1, 2, 4]", 8, 0, how);
    how.before = 1, how.inner = 2, how.quiet = 1;
    loop_case(q, &p[LOOP_VE], "[SDE code, sampling.py]", 8, 0, how);
    how.corrector = FD_CORRECT_SNR, how.band = 2;
    loop_case(q, &p[LOOP_VE], "[SDE algs. 4, 5]", 8, 0, how);
    loop_case(q, &p[LOOP_VE], "[SDE algs. 4, 5]", 7, 0, how);
    how.corrector = FD_CORRECT_SNR_GRID;
    how.t = (double[]){ 1, .7, .4, .15 }, how.scheme = FD_EULER_MARUYAMA, how.inner = 1;
    how.churn = 1, how.tdenoise = .02;
    loop_case(q, &p[LOOP_VP], "[FDP code, samplers/pc_sampler.py]", 8, 0, how);
    how = (fd_sampler){ .t = level, .steps = 3, .scheme = FD_ANNEALED, .quiet = 1, .inner = 2,
                        .corrector = FD_CORRECT_SCALED, .cprm = .4 };
    loop_case(q, &p[LOOP_LADDER], "[Thesis alg. 1]", 8, 0, how);
    how.start = FD_START_UNIT, how.corrector = FD_CORRECT_LADDER, how.cprm = .02;
    loop_case(q, &p[LOOP_LADDER], "[DDO alg. 1]", 8, 0, how);
    how = (fd_sampler){ .t = vp, .steps = 4, .scheme = FD_DDIM, .denoise = 1 };
    loop_case(q, &p[LOOP_VP], "", 8, .2, how);
    how = (fd_sampler){ .t = five, .steps = 4, .scheme = FD_ANCESTRAL };
    loop_case(q, &p[LOOP_LONG], "", 8, .5, how);
    how = (fd_sampler){ .t = (double[]){ .95, .7, .4, .15, .03 }, .steps = 4,
                        .scheme = FD_PF_HEUN };                   /* guidance needs m > 0 */
    loop_case(q, &p[LOOP_FLOW], "", 8, .2, how);
}

static inline void group_samplers(casebook *q)
{
    if (!group_begin(q, "samplers", "whole loops, from the start to x0, for Gaussian data; given "
                     "observations; bridges")) return;
    double five[5], eight[8];
    fd_space s = fd_grid(&q->a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&q->a, &s, 1, .3, .5);
    fd_beta_schedule(FD_BETA_LINEAR, 5, .1, .6, five, q->a.st);
    fd_beta_schedule(FD_BETA_LINEAR, 8, .05, .5, eight, q->a.st);
    need(q->a.st);
    const loop_process p[LOOP_KINDS] = {
        [LOOP_VP] = { "vp", fd_vp(noise, .1, 20), { "b0", "b1" }, { .1, 20 } },
        [LOOP_VE] = { "ve", fd_ve(noise, .01, 50), { "smin", "smax" }, { .01, 50 } },
        [LOOP_FLOW] = { "flow", fd_flow(noise, 1e-4), { "smin" }, { 1e-4 } },
        [LOOP_DRIFTLESS] = { "driftless", fd_driftless(noise, 4), { NULL }, { 0 } },
        [LOOP_CHAIN] = { "ddpm", fd_ddpm_betas(&q->a, noise, 5, five), { "T", "b1", "bT" },
                         { 5, .1, .6 } },
        [LOOP_LONG] = { "ddpm", fd_ddpm_betas(&q->a, noise, 8, eight), { "T", "b1", "bT" },
                        { 8, .05, .5 } },
        [LOOP_LADDER] = { "ladder", fd_ladder(noise, .05, 2, 4), { "v1", "vT", "T" },
                          { .05, 2, 4 } } };
    need(q->a.st);
    loop_one(q, p);
    loop_more(q, p);
    bridge_case(q, 8, .01, 0), bridge_case(q, 8, 0, 2), bridge_case(q, 7, .02, .5);
    group_end(q);
}
#endif
