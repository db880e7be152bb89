/* mesh.c -- what every posterior method makes of one problem on finer and finer grids, exactly.
 *
 * Prior N(sin 2 pi x, Matern 3/2 of length .3) on [0,1], three noisy values (sd .22); exact scores,
 * so that all that is left are the method's own errors. Each step is affine in state and noise, and
 * fd_affine_law gives the law of what comes out without drawing anything. Printed: relative errors
 * of mean and deviation against the exact posterior, by method (rows) and number of points, for
 * noise with the prior's covariance and for rougher noise. A method that makes sense for functions
 * has a limit in the number of points. Markov chains are exact in the end: for them, what their
 * samples cost.
 *
 * build/mesh [STEPS]: a table in Markdown. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { M = 3, MOST = 128 };
enum { CONDITIONAL, EXACT, PIGDM, DPS, DPS_PLAIN, PROJECT, CORRECTED, DENOISED, FLAT, IMPLICIT,
       FUNDPS, DAPS, DAPS_PLAIN, ECI_OWN, ECI, METHODS };
static const char *const name[METHODS] = {
    "exact conditional score, ancestral", "exact guidance, ancestral", "Pi-GDM, ancestral",
    "DPS .3 with C, ancestral", "DPS .3 without C, ancestral", "Cameron-Martin projection",
    "the same with 5 correctors", "projected denoiser, DDIM", "projection in L2 (replacement)",
    "Langevin, semi-implicit", "FunDPS as released, zeta 3", "DAPS with C, 25 levels of 10",
    "DAPS as released, without C", "ECI with the state's own noise, in L2",
    "ECI as released, the start's noise" };

typedef struct {
    int method;
    fd_sampler how;
    const fd_gain *g;
    const fd_obs *o;
    fd_obs bare;
    fd_potential phi;
    const fd_real *mean;
    const double *y;
    double t, s;
    int correct;
} work;

/* state: x [n], path [M], e [M]; noise: modes [n], path [M], e [M] */
static void step(void *self, int b, double *x, const double *z, fd_arena a)
{
    work *w = self;
    const fd_cov *C = w->how.p->noise;
    const int n = (int)C->s.points, S = n + 2 * M;
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n);
    fd_real *d = fd_raw(&a, fd_real, b * n);
    double *y = fd_raw(&a, double, b * M), *path = fd_raw(&a, double, b * M);
    double *zp = fd_raw(&a, double, b * M), *e = fd_raw(&a, double, b * M);
    double *ze = fd_raw(&a, double, b * M), *de = fd_raw(&a, double, b * M);
    if (!de) return;
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < n; j++) {
            u[i * n + j] = (fd_real)x[i * S + j];
            xi[i * n + j] = (fd_real)(sqrt(C->lam[j]) * z[i * S + j]);
        }
        for (int j = 0; j < M; j++) {
            y[i * M + j] = w->y[j];
            path[i * M + j] = x[i * S + n + j], e[i * M + j] = x[i * S + n + M + j];
            zp[i * M + j] = z[i * S + n + j], ze[i * M + j] = z[i * S + n + M + j];
        }
    }
    fd_from_modes(&C->s, b, xi, xi, a);
    if (w->method == IMPLICIT) {
        fd_langevin_implicit(C, w->mean, &w->phi, .02, b, u, xi, a);
    } else if (w->correct) {
        fd_sampler fix = w->how;
        fix.corrector = FD_CORRECT_SCALED, fix.cprm = .4;
        fd_correct(&fix, w->s, b, u, xi, d, a);
        /* e alike: its law is N(0, (m^2 + v) Gamma) */
        for (int i = 0; i < b * M; i++) {
            fd_coef f = fd_law(w->how.p, w->s, 0);
            double al = .4 * f.v;
            e[i] = (1 - .5 * al / (f.m * f.m + f.v)) * e[i] + sqrt(al) * w->o->sd * ze[i];
        }
        fd_project(w->g, b, path, u, e, a);
    } else {
        int moves = w->method >= PROJECT && w->method <= DENOISED;
        if (moves) fd_noise_step(&w->how, w->o, w->t, w->s, b, e, de, ze, a);
        fd_advance(&w->how, w->t, w->s, b, u, xi, d, a);
        if (w->method == PROJECT || w->method == CORRECTED || w->method == FLAT)
            fd_path_move(w->g, w->how.p, w->method == CORRECTED ? FD_PATH_MEAN : FD_PATH_BRIDGE,
                         w->t, w->s, b, y, zp, path, a);
        if (w->method == DENOISED) fd_project_denoised(w->g, w->how.p, w->s, b, y, d, de, u, e, a);
        else if (w->method == FLAT) fd_project_flat(&w->bare, b, path, u, a);
        else if (moves) fd_project(w->g, b, path, u, e, a);
    }
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < n; j++) x[i * S + j] = (double)u[i * n + j];
        for (int j = 0; j < M; j++)
            x[i * S + n + j] = path[i * M + j], x[i * S + n + M + j] = e[i * M + j];
    }
}

/* Methods as released. State: x [n], and what they keep beside it [n]: DAPS the x0 that its flow
 * gives, ECI the noise. */
enum { FLOW = 5, INNER = 10 };
static void released(void *self, int b, double *x, const double *z, fd_arena a)
{
    work *w = self;
    const fd_process *p = w->how.p;
    const fd_cov *C = p->noise;
    const int n = (int)C->s.points, S = 2 * n;
    fd_real *u = fd_raw(&a, fd_real, b * n), *v = fd_raw(&a, fd_real, b * n);
    fd_real *xi = fd_raw(&a, fd_real, b * n);
    double *y = fd_raw(&a, double, b * M), *tb = fd_raw(&a, double, b), t[FLOW + 1];
    fd_coef f = fd_law(p, w->t, 0), g = fd_law(p, w->s, 0);
    if (!tb) return;
    for (int i = 0; i < b * n; i++) {
        u[i] = (fd_real)x[i / n * S + i % n], v[i] = (fd_real)x[i / n * S + n + i % n];
        xi[i] = (fd_real)(sqrt(C->lam[i % n]) * z[i]);
    }
    for (int i = 0; i < b * M; i++) y[i] = w->y[i % M];
    fd_from_modes(&C->s, b, xi, xi, a);
    if (w->method == FUNDPS) {
        fd_released k = { .how = w->how, .o = w->o, .y = w->y, .rule = FD_FUNDPS, .zeta = 3 };
        fd_released_step(&k, w->correct, b, u, a);
    } else if (w->method == ECI || w->method == ECI_OWN) {
        fd_eci_step(p, &w->how.model, w->g, y, w->t, w->s, b, u, w->method == ECI ? v : NULL, a);
    } else if (w->correct == 0) {                                         /* the flow of a level */
        fd_process part = *p;
        part.tmax = w->t;
        fd_times(&part, FD_RHO, 0, FLOW, t, a.st);
        for (int k = 0; k < FLOW; k++) fd_advance(&w->how, t[k], t[k + 1], b, u, NULL, v, a);
        for (int i = 0; i < b; i++) tb[i] = t[FLOW];
        fd_predict(&w->how.model, FD_X0, p, b, u, tb, v, a);
        memcpy(u, v, (size_t)(b * n) * sizeof *u);
    } else if (w->correct <= INNER) {
        double s2 = f.v / (f.m * f.m);
        fd_daps_step(C, &w->phi, sqrt(s2), .01 / (1 + .01 / s2), w->method == DAPS_PLAIN, b, v, u,
                     xi, a);
    } else for (int i = 0; i < b * n; i++)
        u[i] = (fd_real)(g.m * (double)u[i] + sqrt(g.v) * (double)xi[i]);
    for (int i = 0; i < b * n; i++)
        x[i / n * S + i % n] = (double)u[i], x[i / n * S + n + i % n] = (double)v[i];
}

/* begin -- mean and covariance of the state at the first time. */
static void begin(const work *w, double *m, double *cov, fd_arena a)
{
    const fd_cov *C = w->how.p->noise;
    const int n = (int)C->s.points, pair = w->method >= FUNDPS, S = pair ? 2 * n : n + 2 * M;
    const fd_coef f = fd_law(w->how.p, w->how.t[0], 0);
    const double noise = f.v * w->o->sd * w->o->sd;
    fd_real *e = fd_raw(&a, fd_real, n);
    /* the start N(0, v C), by its columns */
    for (int j = 0; e && j < n; j++) {
        for (int i = 0; i < n; i++) e[i] = i == j ? (fd_real)(f.v * n) : 0;
        fd_cov_pow(C, 1, 1, e, e, a);
        for (int i = 0; i < n; i++) {
            cov[i * S + j] = (double)e[i];
            if (w->method == ECI)
                cov[i * S + n + j] = cov[(n + i) * S + j] = cov[i * S + j] / sqrt(f.v);
            if (w->method == ECI) cov[(n + i) * S + n + j] = cov[i * S + j] / f.v;
        }
    }
    /* path and e start independently, from their laws */
    for (int j = 0; e && j < M && !pair; j++) {
        double z[M] = { 0 }, q[M];
        z[j] = 1;
        memset(e, 0, (size_t)n * sizeof *e);
        fd_gain_add(w->g, f.v, 1, z, e, a);
        w->o->apply(w->o->self, &C->s, 1, e, q, a);
        m[n + j] = f.m * w->y[j];
        for (int i = 0; i < M; i++)
            cov[(n + i) * S + n + j] = q[i] + (w->method != FLAT && i == j ? noise : 0);
        cov[(n + M + j) * (S + 1)] = noise;
    }
}

/* run -- errors of mean and deviation of a method on n points. */
static void run(int method, int n, int rough, int steps, double err[2], fd_arena a)
{
    const int pair = method >= FUNDPS, S = pair ? 2 * n : n + 2 * M;
    const int daps = method == DAPS || method == DAPS_PLAIN;
    if (daps) steps /= 4;
    const double at[M] = { 5.5 / 32, 16.5 / 32, 27.5 / 32 }, y[M] = { 1.2, -.3, .4 }, sd = .22;
    fd_space s = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c0 = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_cov *C = rough ? fd_cov_matern(&a, &s, 1, .3, .5) : c0;
    fd_process p = fd_ou(C, 8);
    fd_real *mean = fd_raw(&a, fd_real, n), *dev = fd_raw(&a, fd_real, n);
    double *t = fd_raw(&a, double, steps + 1), *m = fd_new(&a, double, S);
    double *cov = fd_new(&a, double, S * S), *one = fd_raw(&a, double, n);
    fd_obs o = fd_obs_points(&a, &s, M, at, NULL);
    work w = { .method = method, .how = { .p = &p, .t = t, .steps = steps, .scheme = FD_ANCESTRAL },
               .o = &o, .mean = mean, .y = y, .bare = o };
    if (!cov) return;
    for (int i = 0; i < n; i++) mean[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / n);
    p.tmin = 1e-3;
    fd_times(&p, FD_LOGSNR, 0, steps, t, a.st);
    fd_obs_noise(&a, &o, sd);
    fd_posterior *exact = fd_posterior_new(&a, mean, c0, &o, y);
    fd_posterior_std(exact, dev, a);
    w.how.model = fd_oracle_gauss(&a, &p, mean, c0);
    for (int i = 0; i < n; i++) one[i] = 1;
    w.g = fd_gain_new(&a, method == FLAT || method >= ECI_OWN ? &w.bare : &o,
                      method >= ECI_OWN ? fd_cov_table(&a, &s, one) : C, NULL);
    w.phi = fd_obs_potential(&a, &o, y);
    fd_guide guide = { .p = &p, .model = w.how.model, .o = &o, .y = y, .zeta = .3,
                       .plain = method == DPS_PLAIN };
    guide.rule = method == EXACT ? FD_GUIDE_EXACT : method == PIGDM ? FD_GUIDE_PIGDM : FD_GUIDE_DPS;
    if (method == PIGDM) guide.zeta = 1;
    if (method == CONDITIONAL)
        w.how.model = fd_oracle_posterior(&a, &p, 1, NULL, mean, (const fd_cov **)&c0, &o, y);
    else if (method <= DPS_PLAIN) w.how.model = fd_guided(&a, &guide);
    if (method == DENOISED || pair) w.how.scheme = FD_DDIM;
    begin(&w, m, cov, a);
    for (int k = 0; k < steps && pair && !a.st->code; k++) {
        w.t = t[k], w.s = t[k + 1];
        if (!daps) w.correct = k, fd_affine_law(released, &w, S, n, m, cov, a);
        for (w.correct = daps ? 0 : INNER + 2; w.correct < INNER + 2; w.correct++)
            fd_affine_law(released, &w, S, n, m, cov, a);
    }
    for (int k = 0; k < (method == IMPLICIT ? 600 : steps) && !pair && !a.st->code; k++) {
        w.t = t[k % steps], w.s = t[k % steps + 1], w.correct = 0;
        fd_affine_law(step, &w, S, S, m, cov, a);
        for (w.correct = 1; method == CORRECTED && w.s < 2 && w.correct <= 5; w.correct++)
            fd_affine_law(step, &w, S, S, m, cov, a);
    }
    double dm = 0, ds = 0, nm = 0, ns = 0;
    double k = method == IMPLICIT ? 1 : 1 / fd_law(&p, t[steps], 0).m;
    for (int i = 0; i < n && exact; i++) {
        double v = k * sqrt(fmax(0, cov[i * (S + 1)]));
        dm += pow(k * m[i] - (double)exact->mean[i], 2), nm += pow((double)exact->mean[i], 2);
        ds += pow(v - (double)dev[i], 2), ns += pow((double)dev[i], 2);
    }
    err[0] = sqrt(dm / nm), err[1] = sqrt(ds / ns);
}

/* ---- Chains, which are exact in the end: what does a finer grid cost them? ------------------- */

enum { CHAINS = 4, LONG = 4000, KINDS = 5 };
static const char *const kind_name[KINDS] = { "pCN", "inf-MALA", "inf-HMC, 4 leaps",
                                              "elliptical slice", "random walk" };

/* chains -- acceptance, and effective samples of the misfit for 1000 evaluations of it, at a step
 * that suits few points. */
static void chains(int kind, int n, double got[2], fd_arena a)
{
    const double at[M] = { 5.5 / 32, 16.5 / 32, 27.5 / 32 }, y[M] = { 1.2, -.3, .4 };
    fd_space s = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_obs o = fd_obs_points(&a, &s, M, at, NULL);
    double *series = fd_raw(&a, double, CHAINS * LONG), calls = 0, moved = 0;
    fd_obs_noise(&a, &o, .22);
    fd_mcmc how = { .prior = fd_cov_matern(&a, &s, 1, .3, 1.5), .phi = fd_obs_potential(&a, &o, y),
                    .kind = kind, .h = kind == FD_MCMC_MALA ? .03 : kind == FD_MCMC_HMC ? .3 : .4,
                    .leaps = 4 };
    for (int c = 0; series && c < CHAINS; c++) {
        fd_arena own = a;
        fd_chain *run = fd_chain_begin(&own, &how, fd_seed(1), c, NULL);
        for (int k = -1000; run && k < LONG; k++) {
            if (!k) calls -= (double)run->calls;
            int to = fd_chain_step(run, own);
            if (k >= 0) series[c * LONG + k] = run->phi, moved += to;
        }
        if (run) calls += (double)run->calls;
    }
    got[0] = moved / CHAINS / LONG;
    got[1] = series ? 1000 * fd_ess(CHAINS, LONG, series, a) / calls : NAN;
}

/* ---- Ensembles and particles, whose laws are not affine: by DRAWS functions ------------------ */

enum { ESMDA, PARTICLES, SPLIT, DRAWN, DRAWS = 2000 };
static const char *const drawn_name[DRAWN] = { "ES-MDA, 4 steps", "twisted particles, Pi-GDM",
                                               "split Gibbs, 8 sweeps, rho from 1 to .1" };

static void drawn(int kind, int n, int steps, double err[2], fd_arena a)
{
    const double at[M] = { 5.5 / 32, 16.5 / 32, 27.5 / 32 }, y[M] = { 1.2, -.3, .4 };
    fd_space s = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c0 = fd_cov_matern(&a, &s, 1, .3, 1.5), *C = fd_cov_matern(&a, &s, 1, .3, .5);
    fd_process p = fd_ou(C, 8);
    fd_obs o = fd_obs_points(&a, &s, M, at, NULL);
    fd_real *x = fd_raw(&a, fd_real, DRAWS * n), *mean = fd_raw(&a, fd_real, n);
    fd_real *dev = fd_raw(&a, fd_real, n);
    double *t = fd_raw(&a, double, steps + 1);
    p.tmin = 1e-3;
    fd_obs_noise(&a, &o, .22);
    for (int i = 0; i < n && t; i++) mean[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / n);
    fd_posterior *exact = fd_posterior_new(&a, mean, c0, &o, y);
    fd_posterior_std(exact, dev, a);
    fd_times(&p, FD_LOGSNR, 0, steps, t, a.st);
    fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&a, &p, mean, c0), .t = t, .steps = steps,
                       .scheme = FD_ANCESTRAL, .denoise = 1 };
    if (kind == ESMDA) {
        fd_cov_draw(c0, fd_seed(1), 0, DRAWS, x, a);
        for (int i = 0; i < DRAWS * n && exact; i++) x[i] += mean[i % n];
        for (int k = 0; k < 4; k++)
            fd_esmda(&o, y, 4, fd_stream(fd_seed(2), 'e', (uint32_t)k), DRAWS, x, a);
    } else if (kind == PARTICLES) {
        fd_guide guide = { .o = &o, .y = y, .rule = FD_GUIDE_PIGDM, .zeta = 1 };
        fd_particles *q = fd_particles_begin(&a, &how, &guide, fd_seed(3), DRAWS);
        while (q && fd_particles_step(q, a)) { }
        if (q) fd_particles_resample(q, a);
        if (q) memcpy(x, q->run->x, (size_t)(DRAWS * n) * sizeof *x);
    } else {
        fd_gain *g = fd_gain_new(&a, &o, C, NULL);
        fd_sample(&how, fd_seed(4), 0, DRAWS, x, a);
        for (int k = 0; k < 8 && g; k++) {
            fd_process part = p;
            part.tmax = fd_time_at(&p, fmax(.1, pow(.1, k / 4.)));
            fd_times(&part, FD_LOGSNR, 0, steps, t, a.st);
            fd_coef f = fd_law(&p, t[0], 0);
            fd_split_gibbs(&how, g, y, sqrt(f.v) / f.m, fd_stream(fd_seed(5), 's', (uint32_t)k), 0,
                           DRAWS, x, a);
        }
    }
    double dm = 0, ds = 0, nm = 0, ns = 0;
    for (int i = 0; i < n && exact && !a.st->code; i++) {
        double m = 0, v = 0;
        for (int b = 0; b < DRAWS; b++) m += (double)x[b * n + i] / DRAWS;
        for (int b = 0; b < DRAWS; b++) v += pow((double)x[b * n + i] - m, 2) / (DRAWS - 1);
        dm += pow(m - (double)exact->mean[i], 2), nm += pow((double)exact->mean[i], 2);
        ds += pow(sqrt(v) - (double)dev[i], 2), ns += pow((double)dev[i], 2);
    }
    err[0] = sqrt(dm / nm), err[1] = sqrt(ds / ns);
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 200;
    fd_status st;
    size_t size = (size_t)256 << 20;
    void *mem = malloc(size);
    fd_arena a = fd_arena_over(mem, size, &st);
    if (!mem || steps < 2)
        return fprintf(stderr, "usage: mesh [STEPS], with memory of 256 MB\n"), 2;
    for (int rough = 0; rough < 2; rough++) {
        printf("\n| %s, %d steps | n = 16 | 32 | 64 | 128 |\n|---|---|---|---|---|\n",
               rough ? "noise rougher than the prior" : "noise with the prior's covariance", steps);
        for (int method = 0; method < METHODS; method++) {
            /* it knows the prior only */
            if (method == IMPLICIT && rough) continue;
            printf("| %s |", name[method]);
            for (int n = 16; n <= MOST; n *= 2) {
                double err[2] = { NAN, NAN };
                run(method, n, rough, steps, err, a);
                printf(" %.3f / %.3f |", err[0], err[1]);
                fflush(stdout);
            }
            printf("\n");
        }
    }
    printf("\n| by %d draws, rougher noise | n = 16 | 32 | 64 | 128 |\n|---|---|---|---|---|\n",
           DRAWS);
    for (int kind = 0; kind < DRAWN; kind++) {
        printf("| %s |", drawn_name[kind]);
        for (int n = 16; n <= MOST; n *= 2) {
            double err[2] = { NAN, NAN };
            drawn(kind, n, steps, err, a);
            printf(" %.3f / %.3f |", err[0], err[1]);
        }
        printf("\n");
        fflush(stdout);
    }
    printf("\n| chains: acceptance / effective samples for 1000 evaluations | n = 16 | 32 | 64 | "
           "128 |\n|---|---|---|---|---|\n");
    for (int kind = 0; kind < KINDS; kind++) {
        printf("| %s |", kind_name[kind]);
        for (int n = 16; n <= MOST; n *= 2) {
            double got[2];
            chains(FD_MCMC_PCN + kind, n, got, a);
            printf(" %.2f / %.0f |", got[0], got[1]);
        }
        printf("\n");
        fflush(stdout);
    }
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "mesh: %s\n", why), 1;
    return 0;
}
