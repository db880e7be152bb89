/* test_law.c -- fd_exact_law and fd_start_law: against recursions written out by hand from the
 * rows of the schemes, the rule of the corrector and the closed form of the denoiser, for means,
 * variances and channels; against the moments of samples; and the errors for what is not affine. */
#include "test.h"
#include <float.h>

enum { N = 6, CH = 2, STEPS = 9, SIZE = N * CH };

typedef struct {
    fd_space s;
    fd_cov *noise, *c0;
    fd_real mean[SIZE];                /* of the data */
    double M0[SIZE];                   /* its coefficients */
} scene;

/* Two channels on 2x3 points, rough noise, smooth data with another mean in each channel. */
static void scene_make(fd_arena *a, scene *q)
{
    fd_real u[SIZE];
    q->s = fd_grid(a, 2, (int[]){ 2, 3 }, NULL, (int[]){ FD_NEUMANN, FD_PERIODIC }, CH);
    q->noise = fd_cov_matern(a, &q->s, .9, .4, 1.5);
    q->c0 = fd_cov_matern(a, &q->s, .6, .7, 2.5);
    fd_normal(fd_seed(31), SIZE, u);
    for (int j = 0; j < SIZE; j++) q->M0[j] = (double)u[j];
    fd_from_modes(&q->s, 1, u, q->mean, *a);
}

enum { PROCS = 10 };
static const char *const proc_name[PROCS] = { "vp", "cosine", "subvp", "ve", "ou", "driftless",
                                              "flow", "ddpm", "fdp", "heat" };
static void processes(fd_arena *a, const fd_cov *noise, fd_process p[PROCS])
{
    p[0] = fd_vp(noise, .1, 20);
    p[1] = fd_vp_cosine(noise);
    p[2] = fd_subvp(noise, .1, 20);
    p[3] = fd_ve(noise, .02, 5);
    p[4] = fd_ou(noise, 4);
    p[5] = fd_driftless(noise, 3);
    p[6] = fd_flow(noise, .01);
    p[7] = ddpm(a, noise, 100, 1e-3, .1);
    p[8] = fd_fdp(a, noise, .1, 5, NULL);
    p[9] = fd_heat(noise, 1, .02, NULL, NULL, 3);
    for (int i = 0; i < PROCS; i++) p[i].tmin = .03 * p[i].tmax;
    p[6].tmax = .97;                   /* m = 0 at 1 */
}

/* ---- the law by hand ---- */

typedef struct { double M, P, D, Q, R; } hand;      /* of x; of the last D: its mean, Cov(x, D),
    Var(D) */

/* D = g x + h of mode k, coefficient j */
static void hand_denoiser(const fd_sampler *how, const scene *q, double t, ptrdiff_t j, double *g,
                          double *h)
{
    ptrdiff_t k = j % q->s.modes;
    fd_coef f = fd_law(how->p, t, k);
    double c = q->c0->lam[k], v = f.v * q->noise->lam[k], P = f.m * f.m * c + v;
    *g = c * f.m / P, *h = v * q->M0[j] / P;
}

static void hand_affine(hand *w, double a, double b, double sd2)
{
    w->M = a * w->M + b;
    w->P = a * a * w->P + sd2;
    w->Q *= a;
}

static void hand_predict(const fd_sampler *how, const scene *q, double t, double s, int noisy,
                         ptrdiff_t j,
                         hand *w, fd_status *st)
{
    double g, h, lam = q->noise->lam[j % q->s.modes];
    fd_row r = fd_step_row(how->p, how->scheme, how->eta, t, s, j % q->s.modes, st);
    hand_denoiser(how, q, t, j, &g, &h);
    fd_coef f = fd_law(how->p, t, j % q->s.modes);
    double var = r.sd * r.sd * lam + r.gain * r.gain * g * f.v * lam / f.m;
        /* Var(x0|x) = g v lam/m */
    hand_affine(w, r.ax + r.aD * g, r.aD * h, noisy ? var : 0);
}

static void hand_correct(const fd_sampler *how, const scene *q, double t, int noisy, ptrdiff_t j,
                         hand *w)
{
    double g, h, v = fd_law(how->p, t, j % q->s.modes).v, m = fd_law(how->p, t, j % q->s.modes).m;
    double end = fd_law(how->p, how->t[how->steps], j % q->s.modes).v, r = v / end;
    double al = how->corrector == FD_CORRECT_SCALED ? how->cprm * v : how->cprm * r * r;
    hand_denoiser(how, q, t, j, &g, &h);
    hand_affine(w, 1 - .5 * al / v * (1 - m * g), .5 * al * m / v * h,
                noisy ? al * q->noise->lam[j % q->s.modes] : 0);
}

static void hand_law(const fd_sampler *how, const scene *q, double *M, double *P, fd_status *st)
{
    int inner = how->inner > 0 ? how->inner : 1, n = how->steps, hold = how->scheme == FD_ANNEALED;
    for (ptrdiff_t j = 0; j < SIZE; j++) {
        hand w = { M[j], P[j], 0, 0, 0 };
        double g, h;
        for (int k = 0; k < n; k++) {
            double t = how->t[k], s = how->t[k + 1], u = s + how->churn * (t - s);
            int quiet = how->quiet && k + 1 == n;
            int late = how->corrector && (hold ? k + 1 == n : !how->before);
            for (int i = 0; i < inner && how->corrector && (how->before || hold); i++)
                hand_correct(how, q, t, 1, j, &w);
            if (!hold) hand_predict(how, q, t, s, !(quiet && !late && how->churn == 0), j, &w, st);
            if (how->churn > 0 && !hold) {
                const ptrdiff_t m = j % q->s.modes;
                fd_coef S = fd_law(how->p, s, m), U = fd_law(how->p, u, m);
                double a = U.m / S.m;
                hand_affine(&w, a, 0, (U.v - a * a * S.v) * q->noise->lam[j % q->s.modes]);
                hand_predict(how, q, u, s, !(quiet && !late), j, &w, st);
            }
            for (int i = 0; i < inner && late; i++)
                hand_correct(how, q, s, !(quiet && i + 1 == inner), j, &w);
        }
        if (how->denoise) {
            hand_denoiser(how, q, how->tdenoise > 0 ? how->tdenoise : how->t[n], j, &g, &h);
            hand_affine(&w, g, h, 0);
        }
        M[j] = w.M, P[j] = w.P;
    }
}

/* pf-multistep: x' = a x + e D + f D_last, and the corrector on x alone */
static void hand_multistep(const fd_sampler *how, const scene *q, double *M, double *P,
                           fd_status *st)
{
    for (ptrdiff_t j = 0; j < SIZE; j++) {
        hand w = { M[j], P[j], 0, 0, 0 };
        ptrdiff_t k = j % q->s.modes;
        for (int i = 0; i < how->steps; i++) {
            double g, h, t = how->t[i], s = how->t[i + 1], l[3], mix = 0;
            fd_row r = fd_step_row(how->p, FD_DDIM, 0, t, s, k, st);
            for (int z = i ? -1 : 0; z < 2; z++) {
                fd_coef f = fd_law(how->p, how->t[i + z], k);
                l[z + 1] = log(f.m / sqrt(f.v));
            }
            if (i) mix = .5 * (l[2] - l[1]) / (l[1] - l[0]);
            hand_denoiser(how, q, t, j, &g, &h);
            double a = r.ax + r.aD * (1 + mix) * g, b = r.aD * (1 + mix) * h, c = -r.aD * mix;
            hand was = w;
            w.M = a * was.M + b + c * was.D;
            w.P = a * a * was.P + 2 * a * c * was.Q + c * c * was.R;
            w.D = g * was.M + h;
            w.Q = a * g * was.P + c * g * was.Q;
            w.R = g * g * was.P;
            if (how->corrector) hand_correct(how, q, s, 1, j, &w);
        }
        M[j] = w.M, P[j] = w.P;
    }
}

/* ---- against it ---- */

static void near_laws(const char *name, const char *scheme, int row, const double *M,
                      const double *P,
                      const double *M1, const double *P1)
{
    double most = 1;
    for (int j = 0; j < SIZE; j++) most = fmax(most, fabs(M1[j]));
    for (int j = 0; j < SIZE; j++) {
        NEAR(M[j], M1[j], TOL(1e-11, 2e-4) * most, "%s, %s, row %d: mean of %d", name, scheme, row,
             j);
        NEAR(P[j], P1[j], TOL(1e-11, 2e-4) * P1[j] + TOL(1e-14, 1e-6),
             "%s, %s, row %d: variance of %d", name, scheme,
             row, j);
    }
}

/* the moves of a sampler, each with its numbers */
static const fd_sampler extra[] = {
    { .scheme = 0 },
    { .denoise = 1 },
    { .denoise = 1, .tdenoise = .3 },
    { .quiet = 1 },
    { .churn = .6 },
    { .churn = .6, .quiet = 1, .denoise = 1 },
    { .corrector = FD_CORRECT_SCALED, .cprm = .3 },
    { .corrector = FD_CORRECT_SCALED, .cprm = .3, .before = 1, .inner = 3 },
    { .corrector = FD_CORRECT_LADDER, .cprm = .3, .inner = 2 },
    { .corrector = FD_CORRECT_SCALED, .cprm = .3, .inner = 2, .quiet = 1 },
    { .corrector = FD_CORRECT_SCALED, .cprm = .4, .churn = 1.3, .quiet = 1 },
    { .corrector = FD_CORRECT_SCALED, .cprm = .2, .churn = .4, .before = 1, .quiet = 1 },
};

/* c (v/v_end)^2 is .3 v at the first time: stable there, and so at all */
static double stable(const fd_sampler *how)
{
    double v = fd_law(how->p, how->t[0], 0).v, end = fd_law(how->p, how->t[how->steps], 0).v;
    return .3 * end * end / v;
}

static void check_rows(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    static const struct { int scheme; double eta; } one[] = {
        { FD_EULER_MARUYAMA, 0 }, { FD_PF_EULER, 0 }, { FD_ETA_EULER, .7 }, { FD_EXPONENTIAL, 0 },
        { FD_SEMI_ANALYTIC, 0 }, { FD_ANCESTRAL, 0 }, { FD_ANCESTRAL_LARGE, 0 },
            { FD_ANCESTRAL_OPTIMAL, 0 },
        { FD_DDIM, 0 }, { FD_DDIM, .8 } };
    scene q;
    fd_process p[PROCS];
    scene_make(&a, &q);
    processes(&a, q.noise, p);
    for (int i = 0; i < PROCS; i++)
        for (size_t r = 0; r < sizeof one / sizeof *one; r++)
            for (size_t e = 0; e < sizeof extra / sizeof *extra; e++) {
                double t[STEPS + 1], M[SIZE], P[SIZE], M1[SIZE], P1[SIZE];
                fd_sampler how = extra[e];
                how.p = &p[i], how.t = t, how.steps = STEPS, how.scheme = one[r].scheme,
                    how.eta = one[r].eta;
                if (how.tdenoise > 0) how.tdenoise *= p[i].tmax;
                how.model = fd_oracle_gauss(&a, &p[i], q.mean, q.c0);
                fd_times(&p[i], FD_LOGSNR, 0, STEPS, t, &st);
                if (how.corrector == FD_CORRECT_LADDER) how.cprm = stable(&how);
                fd_start_law(&how, M, P, a);
                for (int j = 0; j < SIZE; j++) M1[j] = M[j] += .1, P1[j] = P[j];
                fd_exact_law(&how, M, P, a);
                hand_law(&how, &q, M1, P1, &st);
                if (st.code) st.code = FD_OK;
                    /* a row that does not exist: both refuse it */
                else near_laws(proc_name[i], fd_scheme_name(how.scheme), (int)e, M, P, M1, P1);
            }
    OK(!st.code, "status");
}

static void check_annealed(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    scene q;
    double t[STEPS + 1], M[SIZE], P[SIZE], M1[SIZE], P1[SIZE];
    scene_make(&a, &q);
    fd_process p[2] = { fd_ladder(q.noise, .01, 3, 10), fd_fdp(&a, q.noise, .1, 5, NULL) };
    p[1].tmin = .02;
    for (int i = 0; i < 4; i++) {
        fd_sampler how = { .p = &p[i / 2], .t = t, .steps = STEPS, .scheme = FD_ANNEALED,
                           .corrector = i % 2 ? FD_CORRECT_SCALED : FD_CORRECT_LADDER,
                           .cprm = .4, .inner = 2, .denoise = i % 2, .quiet = i == 1 };
        how.model = fd_oracle_gauss(&a, how.p, q.mean, q.c0);
        fd_times(how.p, FD_UNIFORM, 0, STEPS, t, &st);
        if (i % 2 == 0) how.cprm = stable(&how);
        fd_start_law(&how, M, P, a);
        memcpy(M1, M, sizeof M), memcpy(P1, P, sizeof P);
        fd_exact_law(&how, M, P, a);
        hand_law(&how, &q, M1, P1, &st);
        near_laws("annealed", "annealed", i, M, P, M1, P1);
    }
    for (int i = 0; i < PROCS; i++)                            /* and the scheme with a memory */
        for (int c = 0; c < 2; c++) {
            fd_process r[PROCS];
            processes(&a, q.noise, r);
            fd_sampler how = { .p = &r[i], .t = t, .steps = STEPS, .scheme = FD_PF_MULTISTEP,
                               .cprm = .3,
                               .corrector = c ? FD_CORRECT_SCALED : FD_CORRECT_NONE };
            how.model = fd_oracle_gauss(&a, how.p, q.mean, q.c0);
            fd_times(how.p, FD_RHO, 0, STEPS, t, &st);
            fd_start_law(&how, M, P, a);
            memcpy(M1, M, sizeof M), memcpy(P1, P, sizeof P);
            fd_exact_law(&how, M, P, a);
            hand_multistep(&how, &q, M1, P1, &st);
            near_laws(proc_name[i], "pf-multistep", c, M, P, M1, P1);
        }
    OK(!st.code, "status");
}

/* The schemes of several stages and pf-adaptive approach the exact flow, whose law is in closed
 * form. */
static void check_stages(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { FINE = 400 };
    static const struct { int scheme, steps; double tol; } row[] = {
        { FD_PF_HEUN, FINE, 1e-4 }, { FD_PF_MIDPOINT, FINE, 1e-4 }, { FD_PF_RK4, FINE, 1e-7 },
        { FD_STOCHASTIC_HEUN, FINE, 1e-3 }, { FD_PF_ADAPTIVE, 3, 1e-8 } };
    scene q;
    double t[FINE + 1], M[SIZE], P[SIZE], M1[SIZE], P1[SIZE];
    scene_make(&a, &q);
    fd_process p = fd_vp_cosine(q.noise);
    p.tmin = .02;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int evals = 0;
        fd_sampler how = { .p = &p, .t = t, .steps = row[i].steps, .scheme = row[i].scheme,
                           .start = FD_START_MATCHED, .mean = q.mean, .cov = q.c0,
                           .rtol = TOL(1e-9, 1e-5), .atol = TOL(1e-9, 1e-5), .evals = &evals };
        how.model = fd_oracle_gauss(&a, &p, q.mean, q.c0);
        fd_times(&p, FD_LOGSNR, 0, how.steps, t, &st);
        fd_start_law(&how, M, P, a);
        fd_exact_law(&how, M, P, a);
        how.t = t + how.steps;                                 /* the law of X_t at the end */
        fd_start_law(&how, M1, P1, a);
        for (int j = 0; j < SIZE; j++) {
            NEAR(M[j], M1[j], row[i].tol * 10 + TOL(0, 1e-3), "%s: mean %d",
                 fd_scheme_name(row[i].scheme), j);
            NEAR(P[j] / P1[j], 1, row[i].tol * 10 + TOL(0, 5e-3), "%s: variance %d",
                 fd_scheme_name(row[i].scheme), j);
        }
        how.t = t, how.rtol = how.atol = 1e-2, how.evals = NULL;      /* all rows share the steps */
        fd_start_law(&how, M, P, a);
        fd_exact_law(&how, M, P, a);
        OK(!st.code && fabs(P[0] / P1[0] - 1) < .1, "coarse steps of pf-adaptive: %g",
           P[0] / P1[0]);
        OK(evals == (i == 2 ? 4 * FINE : i < 4 ? 2 * FINE : evals) && evals > 20,
           "evaluations: %d", evals);
    }
    OK(!st.code, "status");
}

/* What fd_sample makes has this law: moments of many functions, all moves in one run. */
static void check_samples(void)
{
    fd_status st;
    fd_arena a = test_arena(64 << 20, &st);
    enum { B = 20000 };
    static const fd_sampler row[] = {
        { .scheme = FD_EULER_MARUYAMA, .corrector = FD_CORRECT_SCALED, .cprm = .5, .inner = 2,
          .churn = .7 },
        { .scheme = FD_ANCESTRAL, .corrector = FD_CORRECT_SCALED, .cprm = .5, .before = 1,
          .start = FD_START_UNIT },
        { .scheme = FD_ANNEALED, .corrector = FD_CORRECT_SCALED, .cprm = .6,
          .start = FD_START_MATCHED },
        { .scheme = FD_STOCHASTIC_HEUN, .churn = .5, .denoise = 1, .quiet = 1 },
        { .scheme = FD_PF_MULTISTEP, .corrector = FD_CORRECT_SCALED, .cprm = .5, .denoise = 1 } };
    scene q;
    double t[6], M[SIZE], P[SIZE];
    scene_make(&a, &q);
    fd_process p = fd_vp(q.noise, .1, 20);
    fd_real *x = fd_raw(&a, fd_real, B * SIZE);
    p.tmin = .05;
    fd_times(&p, FD_LOGSNR, 0, 5, t, &st);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fd_sampler how = row[i];
        how.p = &p, how.t = t, how.steps = 5, how.mean = q.mean, how.cov = q.c0;
        how.model = fd_oracle_gauss(&a, &p, q.mean, q.c0);
        fd_start_law(&how, M, P, a);
        fd_exact_law(&how, M, P, a);
        fd_sample(&how, fd_seed(5), 0, B, x, a);
        fd_to_modes(&q.s, B, x, x, a);
        for (int j = 0; j < SIZE; j++) {
            double sum = 0, sq = 0;
            for (int b = 0; b < B; b++) sum += (double)x[b * SIZE + j];
            for (int b = 0; b < B; b++) sq += pow((double)x[b * SIZE + j] - sum / B, 2);
            NEAR(sum / B, M[j], 4.5 * sqrt(P[j] / B), "row %d: mean %d of samples", (int)i, j);
            NEAR(sq / B / P[j], 1, 4.5 * sqrt(2. / B), "row %d: variance %d of samples", (int)i, j);
        }
    }
    OK(!st.code, "status");
}

/* ---- starts and errors ---- */

static void check_start(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    scene q;
    double t[2], M[SIZE], P[SIZE];
    scene_make(&a, &q);
    fd_process p = fd_fdp(&a, q.noise, .1, 5, NULL);
    t[0] = .7, t[1] = .1;
    for (int start = 0; start < 3; start++) {
        fd_sampler how = { .p = &p, .t = t, .steps = 1, .start = start, .mean = q.mean,
                           .cov = q.c0 };
        how.model = fd_oracle_gauss(&a, &p, q.mean, q.c0);
        fd_start_law(&how, M, P, a);
        for (int j = 0; j < SIZE; j++) {
            fd_coef f = fd_law(&p, .7, j % N);
            double lam = q.noise->lam[j % N], m = start == FD_START_MATCHED ? f.m : 0;
            NEAR(M[j], m * q.M0[j], TOL(1e-14, 1e-5), "start %d: mean %d", start, j);
            NEAR(P[j], (start == FD_START_UNIT ? 1 : f.v) * lam + m * m * q.c0->lam[j % N], 1e-14,
                 "start %d: variance %d", start, j);
        }
        fd_start_law(&how, NULL, P, a);
        NEAR(P[1], (start == FD_START_UNIT ? 1 : fd_law(&p, .7, 1).v) * q.noise->lam[1]
                   + (start == FD_START_MATCHED ? pow(fd_law(&p, .7, 1).m, 2) * q.c0->lam[1] : 0),
             1e-14, "no mean");
    }
    OK(!st.code, "status");
}

/* The law of what DDIM makes by process i: as of data that have noise in each mode, and bounded. */
static void check_damped_law(int i, const fd_process *p, const fd_cov *const c[2], fd_arena a)
{
    enum { W = 64, K = 12, B = 4 };
    const fd_cov *noise = p->noise, *c0 = c[0];
    const fd_space s = noise->s;
    double t[K + 1], P[2][W];
    fd_real x[B * W];
    for (int j = 0; j < 2; j++) {
        fd_model m = fd_oracle_gauss(&a, p, NULL, c[j]);
        fd_sampler how = { .p = p, .model = m, .t = t, .steps = K, .scheme = FD_DDIM,
                           .start = FD_START_MATCHED, .cov = c[j] };
        fd_times(p, FD_LOGSNR, 0, K, t, a.st);
        fd_start_law(&how, NULL, P[j], a);
        fd_exact_law(&how, NULL, P[j], a);
        fd_sample(&how, fd_seed(3), 0, B, x, a);
        fd_to_modes(&s, B, x, x, a);
        OK(!a.st->code, "process %d, data %d: %s", i, j, a.st->code ? a.st->what : "");
        for (int k = 0; k < B * W; k++) {
            double v = c0->lam[k % W] + fd_law(p, p->tmin, k % W).v * noise->lam[k % W];
            OK(fabs((double)x[k]) <= 1e-5 + 6 * sqrt(v), "process %d: mode %d", i, k % W);
        }
    }
    for (int k = 0; k < W; k++)
        if (noise->lam[k] > 0)
            NEAR(P[0][k], P[1][k], TOL(1e-10, 1e-4) * c0->lam[k], "process %d: mode %d", i, k);
        else OK(P[0][k] >= 0 && P[0][k] <= 1.01 * c0->lam[k], "process %d: mode %d", i, k);
}

/* A small mode that D makes smaller keeps its factor. */
static void check_small_mode(const fd_space *s, fd_arena a)
{
    enum { W = 64 };
    double lam[W];
    fd_real x[W], D[W];
    for (int k = 0; k < W; k++) lam[k] = k == 7 ? 1e-36 : 1;
    fd_process vp = fd_vp(fd_cov_table(&a, s, lam), .1, 20);
    for (int k = 0; k < W; k++) lam[k] *= .3 + .01 * k;
    fd_model m = fd_oracle_gauss(&a, &vp, NULL, fd_cov_table(&a, s, lam));
    fd_coef f = fd_law(&vp, .5, 0);
    for (int k = 0; k < W; k++) x[k] = k == 7;
    fd_from_modes(s, 1, x, x, a);
    m.eval(m.self, s, 1, x, (double[]){ .5 }, D, a);
    fd_to_modes(s, 1, D, D, a);
    NEAR((double)D[7], .37 * f.m / (f.m * f.m * .37 + f.v), TOL(1e-14, 1e-6), "a small mode");
}

/* Noise up to a wave, data beyond it too, and processes that damp the waves without limit: where
 * m^2 c is below the rounding of the largest mode, D is the mean and no number times 1/m. The modes
 * with noise have the law that they have without the others. */
static void check_damped(void)
{
    enum { W = 64, CUT = 8, K = 12, B = 4 };
    const double eps = TOL(64 * DBL_EPSILON, 64 * FLT_EPSILON);
    fd_status st;
    fd_arena a = test_arena(1 << 21, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ W }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_white(&a, &s, 1, CUT), *c0 = fd_cov_matern(&a, &s, 1, .3, 2.5);
    double lam[W], t[K + 1], cin, cout;
    fd_real x[B * W], D[W];
    for (int k = 0; k < W; k++) lam[k] = noise->lam[k] > 0 ? c0->lam[k] : 0;
    const fd_cov *c[2] = { c0, fd_cov_table(&a, &s, lam) };
    fd_process base = fd_flow_vp(noise, 0);
    base.tmin = 2 / acos(-1) * atan(exp(-5)), base.tmax = 1 - base.tmin;
    const fd_process p[] = { fd_heat(noise, 1, .02, NULL, NULL, 2), fd_heat_cosine(noise, 1, .02),
                             fd_blur(&base, .05 / acos(-1), .25 / acos(-1)) };
    for (int i = 0; i < 3; i++) {
        fd_process q = p[i];
        q.tmin = i == 2 ? base.tmin : 1e-4;
        check_damped_law(i, &q, c, a);
        fd_times(&q, FD_LOGSNR, 0, K, t, &st);
        fd_model m = fd_oracle_gauss(&a, &q, NULL, c0);
        fd_precond *w = fd_precond_new(&a, &q, NULL, c0);
        fd_obs far = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 5 });     /* says nothing */
        fd_obs_noise(&a, &far, 1e9);
        fd_model post = fd_oracle_posterior(&a, &q, 1, NULL, NULL, c, &far, (double[]){ 0 });
        int said = 0, mute = 0;
        for (int k = 0; k <= K; k++) {
            double top = 0, in = 0, out = 0;
            fd_normal(fd_seed(4), W, x);
            for (int j = 0; j < W; j++) {
                fd_coef f = fd_law(&q, t[k], j);
                double v = f.m * f.m * c0->lam[j] + f.v * noise->lam[j];
                top = fmax(top, v);
                x[j] *= (fd_real)sqrt(v);
            }
            memcpy(x + W, x, W * sizeof *x);
            fd_from_modes(&s, 1, x, x, a);
            m.eval(m.self, &s, 1, x, &t[k], D, a);
            post.eval(post.self, &s, 1, x, &t[k], x + 2 * W, a);
            for (int j = 0; j < W; j++)
                NEAR((double)x[2 * W + j], (double)D[j], 1e-6, "process %d, t = %g: posterior", i,
                     t[k]);
            fd_to_modes(&s, 1, D, D, a);
            for (int j = 0; j < W; j++) {
                fd_coef f = fd_law(&q, t[k], j);
                double cj = c0->lam[j], v = f.v * noise->lam[j], V = f.m * f.m * cj + v;
                int says = V > eps * eps * top;
                double g = says ? cj * f.m / V : 0;
                said += says && v == 0, mute += !says && cj > 0;
                in += g * f.m * cj, out += says ? cj * v / V : cj;
                NEAR((double)D[j], g * (double)x[W + j], eps * sqrt(top) * (1 + g),
                     "process %d, t = %g: D of mode %d", i, t[k], j);
            }
            fd_precond_scale(w, t[k], &cin, &cout);
            NEAR(cin * sqrt(in), 1, 1e-12, "process %d, t = %g: cin", i, t[k]);
            NEAR(cout, sqrt(out), 1e-12, "process %d, t = %g: cout", i, t[k]);
        }
        OK(said > W && mute > W, "process %d: modes above %d, below %d", i, said, mute);
    }
    check_small_mode(&s, a);
    OK(!st.code, "status");
}

/* D = 2 tanh(x): not affine; D with the channels exchanged: affine, but not in each mode by
 * itself */
static void bent_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *t, fd_real *y,
                      fd_arena scratch)
{
    ptrdiff_t n = fd_size(s);
    (void)t, (void)scratch;
    for (ptrdiff_t i = 0; i < b * n; i++)
        y[i] = self ? x[i / n * n + (i + s->points) % n] : (fd_real)(2 * tanh((double)x[i]));
}

static void check_errors(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    scene q;
    double t[3], M[SIZE] = { 1 }, P[SIZE] = { 2 };
    char why[200];
    scene_make(&a, &q);
    fd_process p = fd_vp(q.noise, .1, 20);
    p.tmin = .05;
    fd_times(&p, FD_LOGSNR, 0, 2, t, &st);
    fd_model g = fd_oracle_gauss(&a, &p, q.mean, q.c0);
    const struct { const char *text; fd_sampler how; } row[] = {
        { "SNR corrector", { .model = g, .corrector = FD_CORRECT_SNR, .cprm = .1 } },
        { "not affine in each mode", { .model = { FD_X0, bent_eval, NULL, NULL, NULL, NULL } } },
        { "not affine in each mode", { .model = { FD_X0, bent_eval, NULL, NULL, &p, NULL } } },
        { "model is empty", { .steps = 2 } },
        { "annealed needs a corrector", { .model = g, .scheme = FD_ANNEALED } },
        { "this scheme is for m = 1", { .model = g, .scheme = FD_VE_PREDICTOR } },
        { "times must fall", { .model = g, .t = (double[]){ .5, .5, .1 } } } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fd_sampler how = row[i].how;
        how.p = &p, how.steps = 2;
        if (!how.t) how.t = t;
        M[0] = 1, P[0] = 2;
        fd_exact_law(&how, M, P, a);
        fd_explain(&st, why, sizeof why);
        OK(st.code == FD_EARG && strstr(why, row[i].text), "error %d: %s", (int)i, why);
        OK(M[0] == 1 && P[0] == 2, "error %d: the law was touched", (int)i);
        st.code = FD_OK;
    }
    fd_sampler how = { .p = &p, .model = g, .t = t, .steps = 2, .start = FD_START_MATCHED };
    fd_space other = fd_grid(&a, 2, (int[]){ 2, 3 }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, CH);
    how.cov = fd_cov_matern(&a, &other, .6, .7, 2.5);
    fd_start_law(&how, M, P, a);
    OK(st.code == FD_ESHAPE && P[0] == 2, "a start with other modes");
    st.code = FD_OK;
    /* starved at every size: the right law or FD_ENOMEM */
    how.cov = q.c0, how.scheme = FD_PF_MULTISTEP;
    double M1[SIZE], P1[SIZE];
    fd_start_law(&how, M1, P1, a);
    fd_exact_law(&how, M1, P1, a);
    for (size_t size = 0; size < 40000; size += 232) {
        fd_arena small = { a.beg, a.beg + size, a.st };
        fd_start_law(&how, M, P, a);
        double was = P[0];
        fd_exact_law(&how, M, P, small);
        OK(st.code ? st.code == FD_ENOMEM && P[0] == was : P[0] == P1[0] && M[0] == M1[0],
           "%zu bytes: %d", size,
           st.code);
        st.code = FD_OK;
    }
}

void test_moments(void)
{
    check_rows();
    check_annealed();
    check_stages();
    check_samples();
    check_start();
    check_damped();
    check_errors();
}
