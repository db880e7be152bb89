/* test_edges.c -- processes, models, samplers, posteriors and bridges where a number is 0, a time
 * is an end, a mode has no noise or there are more of something than fit: against closed forms. */
#include "test.h"

#define PI 3.14159265358979323846


enum { N = 4 };                                                       /* modes */

static fd_space line(fd_arena *a, int n)
{
    return fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
}

/* the values of the function with these coefficients */
static void values(const fd_space *s, const double *u, fd_real *x, fd_arena a)
{
    for (ptrdiff_t k = 0; k < s->ch * s->modes; k++) x[k] = (fd_real)u[k];
    fd_from_modes(s, 1, x, x, a);
}

static void coefficients(const fd_space *s, const fd_real *x, double *u, fd_arena a)
{
    fd_real *w = fd_raw(&a, fd_real, s->ch * s->modes);
    if (!w) return;
    fd_to_modes(s, 1, x, w, a);
    for (ptrdiff_t k = 0; k < s->ch * s->modes; k++) u[k] = (double)w[k];
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* v = 1 + t/2 and m = 1 with a ripple that is smaller than what is asked for, and far shorter than
 * a step */
static fd_coef ripple(const fd_process *p, double t, double mu)
{
    (void)p, (void)mu;
    return (fd_coef){ 1, t + .5 * t * t, 0, 1 + t + 1e-6 * sin(1e8 * t) };
}

static fd_coef smooth(const fd_process *p, double t, double mu)
{
    fd_coef c = ripple(p, t, mu);
    c.dv = 1 + t;
    return c;
}

/* laws of one's own: m grows from 1/2 to 1; v falls; v is 0 within; m is hardly a number */
static fd_coef grows(const fd_process *p, double t, double mu)
{
    (void)p, (void)mu;
    return (fd_coef){ .5 + .5 * t, t, .5, 1 };
}

static fd_coef falls(const fd_process *p, double t, double mu)
{
    (void)p, (void)mu;
    return (fd_coef){ 1, 1 - .5 * t, 0, -.5 };
}

static fd_coef touches(const fd_process *p, double t, double mu)
{
    (void)p, (void)mu;
    return (fd_coef){ 1, (t - .5) * (t - .5), 0, 2 * (t - .5) };
}

static fd_coef faint(const fd_process *p, double t, double mu)
{
    (void)p, (void)t, (void)mu;
    return (fd_coef){ 4e-320, 1, 0, 0 };
}

static void processes(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const fd_real eye[4] = { 1, 0, 0, 1 }, unit[2] = { 1, 1 };
    const fd_space dense = fd_dense(NULL, 2, 2, eye, unit, 1), one = fd_dense(NULL, 2, 1, eye, unit,
                                                                              1);
    const double lam[N] = { 1, .5, .2, .1 };
    fd_cov *c = fd_cov_table(&a, &s, lam), *d2 = fd_cov_table(&a, &dense, lam);
    const fd_process vp = fd_vp(c, .1, 20), none = { NULL, 0, 0, { 0 }, NULL, 0, NULL, { NULL },
                                                     NULL, NULL };
    fd_process late = fd_driftless(c, 1), rough = vp, even = vp;
    double t[4];
    /* the time of a deviation as small as one likes */
    late.tmin = 0;
    for (int k = 10; k <= 140; k += 26)
        NEAR(fd_time_at(&late, pow(10, -k)) / pow(10, -2 * k), 1, 1e-9, "time of 1e-%d", k);
    SAYS(fd_times(NULL, FD_UNIFORM, 0, 3, t, &st), FD_EARG, "the process is empty");
    OK(strstr(fd_blur(&none, 0, 1).why, "the process to blur is empty") != NULL, "blur of nothing");
    /* an integral of a law noisier than it can be integrated: to its noise, and in finite time */
    rough.law = ripple, even.law = smooth;
    const fd_row r = fd_step_row(&rough, FD_EXPONENTIAL, 0, .9, .1, 0, &st);
    const fd_row w = fd_step_row(&even, FD_EXPONENTIAL, 0, .9, .1, 0, &st);
    NEAR(r.ax, w.ax, 1e-5, "rippled"), NEAR(w.ax, 1 - (.8 + .5 * .8) / (.9 + .405), 1e-12, "even");
    /* a chain that is blurred by one width all the time: D is of the blurred data */
    const fd_process chain = ddpm(&a, c, 10, 1e-3, .3), blurred = fd_blur(&chain, .1, .1);
    for (int k = 0; k < N; k++) {
        const double e = exp(-.5 * PI * PI * k * k * .01);
        const fd_row p = fd_step_row(&chain, FD_EXPONENTIAL, 0, 7, 2.5, 0, &st);
        const fd_row q = fd_step_row(&blurred, FD_EXPONENTIAL, 0, 7, 2.5, k, &st);
        NEAR(q.ax, p.ax, 1e-12, "blurred"), NEAR(q.sd, p.sd, 1e-12, "blurred");
        NEAR(q.aD, e * p.aD, 1e-12, "blurred, mode %d", k);
    }
    /* behind the end of a chain nothing happens */
    const fd_model m = fd_oracle_gauss(&a, &chain, NULL, c);
    fd_sampler how = { .p = &chain, .model = m, .scheme = FD_PF_MIDPOINT };
    fd_real x[N] = { 1, 2, 3, 4 };
    fd_advance(&how, 13, 12, 1, x, NULL, NULL, a);
    for (int i = 0; i < N; i++) NEAR((double)x[i], i + 1, TOL(1e-14, 1e-6), "behind the end");
    /* modes of a basis have no eigenvalue */
    const fd_process heat = fd_heat(d2, .7, 9, NULL, NULL, 2);
    NEAR(fd_law(&heat, .5, 1).m, exp(-.35), 1e-15, "heat on a basis");
    /* spaces that differ in one thing */
    const fd_space flat = fd_grid(&a, 2, (int[]){ 4, 6 }, NULL, NULL, 1);
    const fd_space turned = fd_grid(&a, 2, (int[]){ 6, 4 }, NULL, NULL, 1);
    const fd_process on = fd_vp(fd_cov_exp(&a, &flat, 1, .3), .1, 20), few = fd_vp(d2, .1, 20);
    SAYS(fd_oracle_gauss(&a, &on, NULL, fd_cov_exp(&a, &turned, 1, .3)), FD_ESHAPE, "modes");
    SAYS(fd_oracle_gauss(&a, &few, NULL, fd_cov_table(&a, &one, lam)), FD_ESHAPE, "modes");
    SAYS(OK(!fd_fdp_noise(&a, &dense, 1, 0), "."), FD_EARG, "fd_laplace");
    OK(!st.code, "%s", explain(&st));
    test_free();
}

static double straight(double r, const void *self, double *slope)
{
    (void)self;
    *slope = 1;
    return r;
}

/* A chain of equal betas is an Ornstein-Uhlenbeck process by another clock: so are its bounds. And
 * a law whose factors are in the thousands, by steps that follow what they see. */
static void clocks(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, .5, .2, .1 }, bare[N] = { 1, 0, .2, .1 }, c[N] = { .3, .7, .1, .4 };
    fd_cov *noise = fd_cov_table(&a, &s, lam), *data = fd_cov_table(&a, &s, c);
    double beta[6], t[2][5] = { { 6, 4, 3, 2, 1 } }, nll[2], part[2][3];
    for (int i = 0; i < 6; i++) beta[i] = .2;
    for (int i = 0; i < 5; i++) t[1][i] = -log(.8) * t[0][i];
    const fd_process p[2] = { fd_ddpm_betas(&a, noise, 6, beta), fd_ou(noise, 2) };
    const fd_real x[N] = { 1, -1, (fd_real).5, 2 };
    for (int i = 0; i < 2; i++) {
        const fd_sampler how = { .p = &p[i], .model = fd_oracle_gauss(&a, &p[i], NULL, data),
                                 .t = t[i], .steps = 4, .scheme = FD_DDIM };
        fd_elbo(&how, 0, fd_seed(1), 0, 1, x, &nll[i], part[i], a);
    }
    for (int j = 0; j < 3; j++)
        NEAR(part[0][j], part[1][j], TOL(1e-10, 1e-4) * (1 + fabs(part[1][j])), "part %d", j);
    const fd_process fast = fd_vp(fd_cov_table(&a, &s, bare), 18, 18);
    const double fall[2] = { 1, .2 };
    double var[N] = { 1, 1, 1, 1 };
    const fd_sampler how = { .p = &fast, .model = fd_oracle_gauss(&a, &fast, NULL, data),
                             .t = fall, .steps = 1, .scheme = FD_PF_ADAPTIVE, .rtol = 1e-6 };
    fd_exact_law(&how, NULL, var, a);
    NEAR(var[1] * exp(-14.4), 1, 1e-2, "a mode without noise");
    OK(!fd_path(noise, straight, NULL, NULL, NULL).law && !st.code, "%s", explain(&st));
    test_free();
}

/* What does not exist is said to be none. */
static void no_rows(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, .5, .2, .1 }, zero[N] = { 0 };
    fd_cov *c = fd_cov_table(&a, &s, lam), *bare = fd_cov_table(&a, &s, zero);
    const fd_process vp = fd_vp(c, .1, 20), turn = fd_flow_vp(c, 0), flow = fd_flow(c, 0),
        heat = fd_heat(c, 1, .1, NULL, NULL, 2), quiet = fd_vp(bare, .1, 20);
    fd_process own[4] = { vp, vp, vp, vp };
    own[0].law = grows, own[1].law = falls, own[2].law = touches, own[3].law = faint;
    const double t[3] = { 1, .5, .1 }, through[4] = { 1, .7, .3, .1 }, zero_t[1] = { 0 };
    fd_real x[N] = { 7 };
    double out = 7;
    SAYS(fd_step_row(&own[0], FD_VE_PREDICTOR, 0, 1, .5, 0, &st), FD_EARG, "is for m = 1");
    SAYS(fd_step_row(&turn, FD_VP_PREDICTOR, 0, 1, .5, 0, &st), FD_EARG, "where m = 0");
    SAYS(fd_loss_norm(&a, &own[1], FD_NORM_LIKELIHOOD, 0, FD_X0, .5), FD_EARG, "no such weight");
    SAYS(fd_time_law_new(&a, &vp, c, FD_NORM_STEP, 0, FD_X0), FD_EARG, "is for chains");
    SAYS(fd_convert(&own[3], FD_NOISE, FD_X0, 1, x, t, x, a), FD_EARG, "not finite");
    SAYS(fd_convert(&heat, FD_NOISE, FD_X0, 1, x, zero_t, x, a), FD_EARG, "where v = 0");
    fd_sampler how = { .p = &turn, .model = fd_oracle_gauss(&a, &turn, NULL, c), .t = t,
                       .steps = 2, .scheme = FD_STOCHASTIC_HEUN };
    SAYS(fd_advance(&how, 1, .5, 1, x, NULL, NULL, a), FD_EARG, "where m = 0");
    how.p = &flow, how.model = fd_oracle_gauss(&a, &flow, NULL, c);
    how.scheme = FD_ANCESTRAL_OPTIMAL;
    SAYS(fd_advance(&how, 0, -.5, 1, x, x, NULL, a), FD_EARG, "no noise to remove");
    how = (fd_sampler){ .p = &own[2], .model = fd_oracle_gauss(&a, &own[2], NULL, c),
                        .t = through, .steps = 3, .scheme = FD_PF_MIDPOINT };
    SAYS(fd_loglik(&how, 0, fd_seed(1), 0, 1, x, &out, a), FD_EARG, "v = 0 inside a step");
    how = (fd_sampler){ .p = &vp, .model = fd_oracle_gauss(&a, &vp, NULL, c), .steps = 2,
                        .scheme = FD_DDIM, .corrector = FD_CORRECT_LADDER, .cprm = .1 };
    SAYS(fd_correct(&how, .5, 1, x, NULL, NULL, a), FD_EARG, "needs steps and times");
    how.t = t;
    SAYS(fd_begin(&a, &how, fd_seed(1), 0, 0), FD_EARG, "needs functions: 0");
    const fd_potential phi = { NULL, NULL };
    OK(!fd_latent_potential(&a, &how, &phi).value && !st.code, "no potential");
    /* noise after the start */
    fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 1 });
    fd_obs_noise(&a, &o, .1);
    const double y = 1;
    const fd_potential seen = fd_obs_potential(&a, &o, &y);
    for (int i = 0; i < 3; i++) {
        fd_sampler bad = how;
        bad.corrector = i == 0 ? FD_CORRECT_SCALED : FD_CORRECT_NONE;
        if (i == 1) bad.churn = .1;
        if (i == 2) bad.scheme = FD_ANCESTRAL;
        SAYS(OK(!fd_latent_potential(&a, &bad, &seen).value, "%d", i), FD_EARG, "without noise");
    }
    SAYS(fd_policy_model(&a, &quiet, how.model, how.model, 1), FD_EARG, "and noise");
    SAYS(fd_policy_pull(c, 0, 1, 1, x, x, x, a), FD_EARG, "s must be positive");
    const fd_model kernel = fd_oracle_kernel(&a, &vp, NULL, c);
    fd_real D[N] = { 7 };
    const double nan = NAN;
    SAYS(kernel.eval(kernel.self, &s, 1, x, &nan, D, a), FD_EDATA, "not positive definite");
    OK(x[0] == 7 && D[0] == 7 && out == 7 && !st.code, "nothing is written");
    test_free();
}

/* ---- Models ---------------------------------------------------------------------------------- */

static int same(double got, double want)
{
    return isinf(want) ? got == want : fabs(got - want) <= TOL(1e-10, 1e-4) * (1 + fabs(want));
}

/* Modes with noise and no data, with data and no noise, with both, and with a mean alone */
static void conditions(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, 0, .5, 0 }, c[N] = { 0, 1, .3, 0 };
    fd_cov *noise = fd_cov_table(&a, &s, lam), *data = fd_cov_table(&a, &s, c);
    const fd_process p = fd_flow(noise, 0);
    fd_real mean[N];
    for (int last = 0; last < 2; last++) {
        const double u[N] = { 0, 0, .2, last ? .7 : 0 };
        values(&s, u, mean, a);
        const fd_coef f = fd_law(&p, .4, 0);
        const fd_conditions q = fd_conditions_at(&p, mean, data, .4, a);
        OK(same(q.trace, 1.5) && same(q.square, 1.25) && same(q.data, 1.34 + last * .49)
           && same(q.most, -f.dm / f.m), "sums, %d", last);
        OK(same(q.member, INFINITY) && same(q.ratio, INFINITY) && same(q.feldman, INFINITY)
           && same(q.mean, last ? INFINITY : .08) && same(q.bare, 1 + last)
           && same(q.shift, last ? INFINITY : f.m * f.m * .04 / (f.v * .5)), "bare modes, %d: %g",
           last, q.mean);
        OK(fd_conditions_at(&p, mean, data, 1, a).most == INFINITY, "where m = 0");
        OK(fd_conditions_at(&p, mean, data, 0, a).bare == 2 + last, "where v = 0, but no data");
    }
    OK(!st.code, "%s", explain(&st));
    test_free();
}

/* The table of times is the density that it says, from tmin = 0, too; powers of C do not matter. */
static void time_laws(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const int even = 6;
    const fd_space s = line(&a, N), ring = fd_grid(&a, 1, &even, NULL, NULL, 1);
    const double lam[N] = { 1, .5, .2, .1 }, c[N] = { .3, .7, .1, .4 };
    fd_cov *noise = fd_cov_table(&a, &s, lam), *data = fd_cov_table(&a, &s, c);
    fd_process p = fd_ve(noise, .1, 3), on = fd_vp(fd_cov_exp(&a, &ring, 1, .3), .1, 20);
    p.tmin = 0;
    const fd_time_law *law = fd_time_law_new(&a, &p, data, FD_NORM_H, 0, FD_X0);
    if (!law) { OK(0, "%s", explain(&st)); return; }
    double all = 0, part[512];
    for (int i = 0; i < law->n; i++) {
        const double v = fd_law(&p, .5 * (law->t[i] + law->t[i + 1]), 0).v;
        double sum = 0, sum2 = 0;
        for (int k = 0; k < N; k++) {
            const double F = c[k] * v * lam[k] / (c[k] + v * lam[k]);
            sum += F, sum2 += F * F;
        }
        all += part[i] = sqrt(sum * sum + 2 * sum2) * (law->t[i + 1] - law->t[i]);
    }
    for (int i = 0; i < law->n; i += 37)
        NEAR(law->cdf[i + 1] - law->cdf[i], part[i] / all, 1e-12, "cell %d", i);
    OK(law->t[0] == 0 && law->t[law->n] == p.tmax, "from end to end");
    const fd_cov *c0 = fd_cov_exp(&a, &ring, 1, .5);
    const fd_time_law *score = fd_time_law_new(&a, &on, c0, FD_NORM_H, 0, FD_SCORE);
    const fd_time_law *half = fd_time_law_new(&a, &on, c0, FD_NORM_H, 0, FD_SCORE_HALF);
    for (int i = 0; score && half && i <= score->n; i += 64)
        NEAR(half->cdf[i], score->cdf[i], 1e-12, "without a Nyquist mode, %d", i);
    OK(half && !st.code, "%s", explain(&st));
    test_free();
}

static void starts(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, .5, .2, 0 }, c[N] = { .3, .7, .1, 0 }, u[N] = { 1, -1, .5, .4 };
    fd_cov *noise = fd_cov_table(&a, &s, lam), *data = fd_cov_table(&a, &s, c);
    const fd_process p = fd_vp(noise, .1, 3), flow = fd_flow(noise, 0);
    const double t[2] = { 1, .5 };
    fd_real mean[N], x[N], y[N];
    double M[N], V[N], got[N], cin, cout;
    values(&s, u, mean, a);
    /* a start that matches a mean alone */
    fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&a, &p, mean, data), .t = t, .steps = 1,
                       .scheme = FD_DDIM, .start = FD_START_MATCHED, .mean = mean }, plain = how;
    plain.start = FD_START_NOISE;
    const fd_coef T = fd_law(&p, 1, 0);
    fd_start_law(&how, M, V, a);
    const fd_run *own = fd_begin(&a, &how, fd_seed(1), 0, 1), *at0 = fd_begin(&a, &plain,
                                                                              fd_seed(1), 0, 1);
    for (int k = 0; k < N && own && at0; k++) {
        NEAR(M[k], T.m * u[k], TOL(1e-14, 1e-6), "mean %d", k);
        NEAR(V[k], T.v * lam[k], 1e-15, "variance %d", k);
        NEAR((double)own->x[k], (double)at0->x[k] + T.m * (double)mean[k], TOL(1e-14, 1e-6),
             "state %d", k);
    }
    /* where x says nothing, F is given nothing and must say all */
    fd_precond_scale(fd_precond_new(&a, &flow, mean, data), 1, &cin, &cout);
    OK(cin == 0, "nothing"), NEAR(cout, sqrt(1.1), 1e-12, "all");
    /* one datum: whatever the state, it is that */
    const fd_model m = fd_oracle_data(&a, &p, 1, mean);
    for (int i = 0; i < N; i++) x[i] = (fd_real)(i * i);
    m.eval(m.self, &s, 1, x, t, y, a);
    for (int i = 0; i < N; i++) NEAR((double)y[i], (double)mean[i], TOL(1e-14, 1e-6), "datum");
    m.vjp(m.self, &s, 1, x, t, x, y, a);
    for (int i = 0; i < N; i++) NEAR((double)y[i], 0, 0, "its slope");
    /* a flow in one step, and a mode that is its mean alone */
    const double from = .6, to = .2, mt = fd_law(&p, from, 0).m, mr = fd_law(&p, to, 0).m;
    for (int i = 0; i < N; i++) x[i] = (fd_real)(mt * (double)mean[i]);
    fd_average_velocity(&p, mean, data, 1, &from, &to, x, y, a);
    coefficients(&s, y, got, a);
    for (int k = 0; k < N; k++)
        NEAR(got[k], (mt - mr) * u[k] / (from - to), TOL(1e-13, 1e-5), "velocity %d", k);
    OK(!st.code, "%s", explain(&st));
    test_free();
}

/* At its begin an interpolant is what it begins with: no variance, and no odds of a mode. */
static void begins(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, .5, .2, .1 }, none[N] = { 0, .7, .1, .4 }, u[N] = { 1, -1, .5, .4 };
    const double r = 0;
    fd_cov *noise = fd_cov_table(&a, &s, lam), *c0 = fd_cov_table(&a, &s, none);
    const fd_cov *both[2] = { c0, c0 };
    fd_real mean[N], x[N] = { 0 }, y[N];
    values(&s, u, mean, a);
    const fd_interpolant p = { noise, NULL, NULL, NULL, NULL, .5 };
    const fd_mix from = { 2, (double[]){ .3, .7 }, NULL, both }, to = { 1, NULL, mean, both };
    const fd_model m = fd_oracle_interpolant_mix(&a, &p, FD_VELOCITY, &from, &to);
    m.eval(m.self, &s, 1, x, &r, y, a);
    for (int i = 0; i < N; i++)
        NEAR((double)y[i], (double)mean[i], TOL(1e-13, 1e-5), "velocity at the begin");
    OK(!st.code, "%s", explain(&st));
    test_free();
}

/* ---- Observations ---------------------------------------------------------------------------- */

/* More functions than fit into a part: each as alone */
static void many_places(void)
{
    enum { SIDE = 64, COUNT = 3 };
    fd_status st;
    fd_arena a = test_arena((size_t)96 << 20, &st);
    const fd_space s = fd_grid(&a, 2, (int[]){ SIDE, SIDE }, NULL, (int[]){ 1, 1 }, 1);
    const ptrdiff_t n = fd_size(&s);
    fd_real *x = normals(&a, 1, COUNT * n), *g = fd_raw(&a, fd_real, COUNT * n);
    fd_real *one = fd_raw(&a, fd_real, n);
    for (int m = 4096; m <= 8200; m += 4104) {
        fd_arena b = a;
        double *at = fd_raw(&b, double, 2 * m), *y = fd_raw(&b, double, COUNT * m);
        double *alone = fd_raw(&b, double, m);
        if (!alone || !one) { OK(0, "%s", explain(&st)); break; }
        for (int i = 0; i < 2 * m; i++) at[i] = fmod(.618 * i, 1);
        const fd_obs o = fd_obs_points(&b, &s, m, at, NULL);
        fd_obs_draw(&o, fd_seed(1), 0, COUNT, x, y, b);
        fd_obs_adjoint(&o, COUNT, NULL, y, g, b);
        for (int k = 0; k < COUNT; k++) {
            double off = 0;
            fd_obs_draw(&o, fd_seed(1), 0, 1, x + k * n, alone, b);
            fd_obs_adjoint(&o, 1, NULL, alone, one, b);
            for (int i = 0; i < m; i++) off = fmax(off, fabs(alone[i] - y[k * m + i]));
            NEAR(off, 0, TOL(1e-11, 1e-3), "%d places, function %d", m, k);
            NEAR(test_rel(n, g + k * n, one), 0, TOL(1e-12, 1e-4), "adjoint, function %d", k);
        }
    }
    OK(!st.code, "%s", explain(&st));
    test_free();
}

static void still(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                  fd_arena a)
{
    (void)self, (void)s, (void)x, (void)a;
    for (int i = 0; i < b; i++) y[i] = 3;
}

static void flat(const void *self, const fd_space *s, int b, const fd_real *x, const double *w,
                 fd_real *g, fd_arena a)
{
    (void)self, (void)x, (void)w, (void)a;
    memset(g, 0, (size_t)(b * fd_size(s)) * sizeof *g);
}

/* More observations than are taken at a time, against dense algebra */
static void many_numbers(void)
{
    enum { P = 16, M = 40 };
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    const fd_space s = line(&a, P);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5);
    ptrdiff_t index[M];
    double y[M], K[P * P], G[M * M], k[M];
    fd_real eye[P * P] = { 0 }, sd[P], x[P] = { 0 }, D[2][P];
    for (int i = 0; i < M; i++) index[i] = 5 * i % P, y[i] = cos(i);
    fd_obs o = fd_obs_pick(&a, &s, M, index);
    fd_obs_noise(&a, &o, .4);
    for (int i = 0; i < P; i++) eye[i * P + i] = (fd_real)(1 / s.h);
    fd_cov_pow(c, 1, P, eye, eye, a);
    for (int i = 0; i < P * P; i++) K[i] = (double)eye[i];
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++) G[i * M + j] = K[index[i] * P + index[j]] + (i == j) * .16;
    fd_cholesky(&st, M, G);
    fd_posterior_std(fd_posterior_new(&a, NULL, c, &o, y), sd, a);
    for (int p = 0; p < P; p++) {
        double var = K[p * P + p];
        for (int i = 0; i < M; i++) k[i] = K[index[i] * P + p];
        fd_solve_lower(M, G, 0, k);
        for (int i = 0; i < M; i++) var -= k[i] * k[i];
        NEAR((double)sd[p], sqrt(var), TOL(1e-10, 1e-3), "deviation at %d", p);
    }
    /* the same numbers from the derivative */
    fd_obs bent = o;
    bent.linear = 0;
    const fd_gain *g = fd_gain_new(&a, &o, c, NULL), *h = fd_gain_new(&a, &bent, c, x);
    NEAR(fd_gain_logdet(g, .7, 1, a), fd_gain_logdet(h, .7, 1, a), TOL(1e-9, 1e-3), "linearised");
    /* the exact rule is the exact denoiser */
    const fd_process p = fd_vp(c, .1, 20);
    const fd_model gauss = fd_oracle_gauss(&a, &p, NULL, c);
    const fd_cov *both[2] = { c, c };
    const fd_guide exact = { &p, gauss, &o, y, FD_GUIDE_EXACT, 0, 0 };
    const fd_model m[2] = { fd_guided(&a, &exact),
                            fd_oracle_posterior(&a, &p, 1, NULL, NULL, both, &o, y) };
    const double t = .4;
    fd_cov_draw(c, fd_seed(1), 0, 1, x, a);
    for (int i = 0; i < 2; i++) m[i].eval(m[i].self, &s, 1, x, &t, D[i], a);
    NEAR(test_rel(P, D[0], D[1]), 0, TOL(1e-10, 1e-3), "the exact rule");
    OK(!st.code, "%s", explain(&st));
    test_free();
}

/* Observations that say nothing, that say the same twice, or that are not there */
static void few_numbers(void)
{
    enum { P = 8, M = 3 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, P);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5);
    const ptrdiff_t index[M] = { 1, 5, 1 };
    const double y[M] = { 1, 2, 1 }, t = .4;
    fd_real x[P] = { 0 }, D[P];
    fd_obs o = fd_obs_pick(&a, &s, M, index), bare = o;
    fd_obs_noise(&a, &o, .4);
    fd_obs bent = o;
    bent.linear = 0;
    const fd_process p = fd_vp(c, .1, 20);
    const fd_model gauss = fd_oracle_gauss(&a, &p, NULL, c);
    const fd_cov *both[2] = { c, c };
    const fd_guide exact = { &p, gauss, &o, y, FD_GUIDE_EXACT, 0, 0 };
    const fd_guide quiet = { &p, gauss, &bare, y, FD_GUIDE_EXACT, 0, 0 };
    const fd_model q = fd_guided(&a, &quiet);
    SAYS(q.eval(q.self, &s, 1, x, &t, D, a), FD_EDATA, "not positive definite");
    /* derivatives at 0, where F is not said to be linear, and of what does not move */
    const fd_real zero[P] = { 0 };
    OK(fd_obs_check(&bent, zero, fd_seed(1), a) < TOL(1e-8, 1e-2), "checked at 0");
    const fd_obs fixed = { .s = s, .m = 1, .apply = still, .transpose = flat };
    OK(fd_obs_check(&fixed, zero, fd_seed(1), a) == 0, "constant");
    /* what is said of nothing, and to whom */
    OK(!fd_posterior_new(&a, NULL, c, NULL, y) && !st.code, "of nothing");
    OK(!fd_oracle_posterior(&a, &p, 1, NULL, NULL, NULL, &o, y).eval && !st.code, "no data");
    OK(!fd_obs_boxes(&a, NULL, 1, &t, &t, NULL).m && !st.code, "no space");
    const fd_space other = line(&a, P / 2);
    const fd_obs far = fd_obs_pick(&a, &other, 1, index);
    SAYS(fd_oracle_posterior(&a, &p, 1, NULL, NULL, both, &far, y), FD_ESHAPE, "different points");
    SAYS(OK(isnan(fd_score_power(&p, c, &bent, .5, a)), "."), FD_EARG, "linear");
    fd_guide no_y = exact;
    no_y.y = NULL;
    SAYS(fd_guided(&a, &no_y), FD_EARG, "needs the numbers that were observed");
    fd_real bad[2 * P] = { 0, NAN };
    SAYS(fd_esmda(&o, y, 1, fd_seed(1), 2, bad, a), FD_EDATA, "not positive definite");
    test_free();
}

/* A modal observation of two channels: mode by mode, with modes that are not seen */
static void modes_seen(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const int n = N;
    const fd_space s = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 2);
    const double lam[N] = { 1, .5, .2, .1 }, mul[N] = { 1, 0, .5, 2 };
    double z[2 * N] = { 1, 2, -1, .5, .3, 0, 1, 1 }, y[2 * N] = { 0 }, way[2 * N], r[2 * N];
    double u[2 * N];
    fd_cov *c = fd_cov_table(&a, &s, lam);
    fd_obs o = fd_obs_modal(&a, &s, mul), bare = o;
    fd_obs_noise(&a, &o, .3);
    const fd_process p = fd_vp(c, .1, 20);
    const fd_gain *g = fd_gain_new(&a, &o, c, NULL), *q = fd_gain_new(&a, &bare, c, NULL);
    fd_real sd[2][2 * N], x[2 * N] = { 0 };
    fd_posterior_std(fd_posterior_new(&a, NULL, c, &o, z), sd[0], a);
    fd_posterior_std(fd_posterior_new(&a, NULL, c, &bare, z), sd[1], a);
    for (int i = 0; i < N; i++) {
        double want = 0, hidden = 0;
        for (int k = 0; k < N; k++) {
            const double e = k ? 2 * pow(cos(PI * k * (i + .5) / N), 2) : 1;
            want += e * lam[k] * .09 * s.h / (mul[k] * mul[k] * lam[k] + .09 * s.h);
            hidden += k == 1 ? e * lam[k] : 0;
        }
        NEAR((double)sd[0][i], sqrt(want), TOL(1e-12, 1e-4), "deviation at %d", i);
        NEAR((double)sd[1][i], sqrt(hidden), TOL(1e-12, 1e-4), "of what is not seen, %d", i);
        OK(sd[0][i] == sd[0][N + i] && sd[1][i] == sd[1][N + i], "channels alike");
    }
    /* the root of A C A* + Gamma, twice, is that matrix */
    const double v = fd_law(&p, .5, 0).v;
    memcpy(way, y, sizeof way);
    fd_path_move(g, &p, FD_PATH_FRESH, 1, .5, 1, y, z, way, a);
    fd_path_move(g, &p, FD_PATH_FRESH, 1, .5, 1, y, way, r, a);
    fd_gain_solve(g, 1, 1, 1, r, r, a);
    for (int i = 0; i < 2 * N; i++) NEAR(r[i], v * z[i], TOL(1e-12, 1e-4), "root %d", i);
    /* what is neither seen nor noisy counts for nothing */
    fd_gain_solve(q, 1, 1, 1, z, r, a);
    for (int i = 0; i < 2 * N; i++) x[i] = (fd_real)r[i];
    coefficients(&s, x, u, a);
    NEAR(u[1], 0, TOL(1e-13, 1e-5), "not seen"), NEAR(u[N + 1], 0, TOL(1e-13, 1e-5), "not seen");
    fd_obs few = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 1, 3 });
    fd_gain_solve(fd_gain_new(&a, &few, c, NULL), 0, 1, 1, z, r, a);
    OK(r[0] == 0 && r[1] == 0, "no prior and no noise");
    /* what is left of a mode that is not seen is all of it */
    const fd_cov *both[1] = { c };
    const fd_model m = fd_oracle_posterior(&a, &p, 1, NULL, NULL, both, &bare, z);
    const double t = .5;
    fd_real var[2 * N];
    m.var(m.self, &s, 1, x, &t, var, a);
    const fd_coef f = fd_law(&p, t, 0);
    for (int k = 0; k < 2 * N; k++)
        NEAR((double)var[k], k % N == 1 ? .5 * f.v / (f.m * f.m + f.v) : 0, TOL(1e-14, 1e-6),
             "left of mode %d", k);
    OK(!st.code, "%s", explain(&st));
    test_free();
}

/* Data of a multiple of the noise, whose first mode is empty: the same by the short way and by the
 * long one, as half a mixture with itself. And data that do not vary at all. */
static void multiples(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 0, .5, .2, .1 }, c[N] = { 0, 1, .4, .2 }, t = .5, none[N] = { 0 };
    double y[2] = { 1, -1 };
    fd_cov *noise = fd_cov_table(&a, &s, lam), *data = fd_cov_table(&a, &s, c);
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 1, 3 });
    fd_obs_noise(&a, &o, .3);
    const fd_process p = fd_vp(noise, .1, 20);
    const fd_cov *both[2] = { data, data };
    fd_real x[N], D[2][N];
    fd_cov_draw(noise, fd_seed(1), 0, 1, x, a);
    for (int i = 0; i < 2; i++) {
        const fd_model m = fd_oracle_posterior(&a, &p, i + 1, NULL, NULL, both, &o, y);
        m.eval(m.self, &s, 1, x, &t, D[i], a);
    }
    NEAR(test_rel(N, D[0], D[1]), 0, TOL(1e-12, 1e-5), "the short way");
    /* data that do not vary: their numbers are y itself */
    const fd_condition how = { .p = &p, .base = FD_BASE_NONE, .predicts = FD_X0,
                               .sees = FD_SEES_VALUES, .c0 = fd_cov_table(&a, &s, none) };
    const fd_amortised *w = fd_amortised_new(&a, &how, &o);
    fd_real in[3 * N] = { 0 }, target[N];
    fd_amortised_pair(w, 1, y, x, NULL, x, &t, in, target, NULL, a);
    OK(in[N + 1] == 1 && in[N + 3] == -1 && in[2 * N + 1] == 1 && in[N] == 0, "values");
    fd_process bald = p;
    bald.noise = NULL;
    OK(fd_amortised_inputs(&(fd_condition){ .p = &bald }) == 0, "no inputs");
    double cin = 3, cout = 3;
    FD_FAIL(&st, FD_EIO, "here", "before");
    fd_amortised_scale(w, .5, &cin, &cout, a);
    OK(cin == 1 && cout == 1 && st.code == FD_EIO, "no scale after a failure");
    st.code = FD_OK;
    test_free();
}

/* ---- Guidance -------------------------------------------------------------------------------- */

typedef struct {
    fd_space s;
    fd_cov *noise, *data;
    fd_obs o, bare;                                                   /* with and without noise */
    double y[2];
    fd_process vp, flow, heat;
    fd_real x[4 * N];
} scene;

static void scene_new(scene *q, fd_arena *a)
{
    const double lam[N] = { 1, .5, .2, .1 }, c[N] = { .3, .7, .1, .4 };
    q->s = line(a, N);
    q->noise = fd_cov_table(a, &q->s, lam), q->data = fd_cov_table(a, &q->s, c);
    q->o = q->bare = fd_obs_pick(a, &q->s, 2, (ptrdiff_t[]){ 1, 3 });
    fd_obs_noise(a, &q->o, .3);
    q->y[0] = 1, q->y[1] = -1;
    q->vp = fd_vp(q->noise, .1, 20), q->flow = fd_flow(q->noise, 0);
    q->heat = fd_heat(q->noise, 1, 4, NULL, NULL, 2);
    fd_cov_draw(q->noise, fd_seed(1), 0, 4, q->x, *a);
}

/* Where x says nothing of x0 there is no guidance. */
static void no_guidance(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    scene q;
    scene_new(&q, &a);
    fd_process late = fd_vp(q.noise, 60, 60);
    fd_real D[2][N];
    const double t = .9, end = 1.9, fall[3] = { 1, .8, .75 };
    late.tmin = .7;                                        /* nothing at any time that there is */
    fd_model m = fd_oracle_gauss(&a, &late, NULL, q.data);
    fd_model hot = fd_oracle_gauss(&a, &q.heat, NULL, q.data);
    fd_model by = fd_guided(&a, &(fd_guide){ &late, m, &q.o, q.y, FD_GUIDE_DPS, .3, 0 });
    OK(fd_law(&late, .7, 0).m < 1e-4, "m is small");
    m.eval(m.self, &q.s, 1, q.x, &t, D[0], a), by.eval(by.self, &q.s, 1, q.x, &t, D[1], a);
    OK(!memcmp(D[0], D[1], sizeof *D), "no guidance");
    /* such modes of a modal process, with a variance and without one: the others are guided */
    double u[3][N];
    for (int i = 0; i < 3; i++) {
        fd_arena b = a;
        by = fd_guided(&b, &(fd_guide){ &q.heat, hot, &q.o, q.y, FD_GUIDE_DPS, .3, 0 });
        if (i == 2) by = hot;
        by.eval(by.self, &q.s, 1, q.x, &end, D[0], b);
        coefficients(&q.s, D[0], u[i], a);
        hot.var = NULL;
    }
    OK(fd_law(&q.heat, end, 0).m > 1e-4 && fd_law(&q.heat, end, 3).m < 1e-4, "some modes");
    NEAR(u[0][0], u[1][0], TOL(1e-12, 1e-4), "a mode that is guided");
    NEAR(u[1][3], u[2][3], TOL(1e-12, 1e-4), "one that is not");
    OK(fabs(u[0][3] - u[1][3]) > 1e-3, "but for the variance: %g, %g", u[0][3], u[1][3]);
    /* particles: a step in which x says nothing is the same with and without guidance */
    const fd_sampler how = { .p = &late, .model = m, .t = fall, .steps = 2,
                             .scheme = FD_ANCESTRAL };
    fd_particles *two[2];
    for (int i = 0; i < 2; i++) {
        const fd_guide guide = { .o = &q.o, .y = q.y, .rule = i ? FD_GUIDE_PIGDM : 0 };
        two[i] = fd_particles_begin(&a, &how, &guide, fd_seed(2), 4);
        fd_particles_step(two[i], a);
    }
    OK(two[0] && two[1] && !memcmp(two[0]->run->x, two[1]->run->x, sizeof q.x) && !st.code,
       "a step: %s", explain(&st));
    test_free();
}

/* Particles where v = 0: the state is D already. And weights that are no numbers choose the last
 * one, so that states stay states. */
static void last_particles(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    scene q;
    scene_new(&q, &a);
    const double down[3] = { .9, .5, 0 };
    fd_sampler how = { .p = &q.flow, .model = fd_oracle_gauss(&a, &q.flow, NULL, q.data),
                       .t = down, .steps = 2, .scheme = FD_DDIM };
    fd_particles *two[2];
    for (int i = 0; i < 2; i++) {
        const fd_guide guide = { .o = &q.o, .y = q.y };
        how.denoise = i;
        two[i] = fd_particles_begin(&a, &how, &guide, fd_seed(2), 4);
        while (fd_particles_step(two[i], a)) { }
    }
    if (!two[0] || !two[1]) { OK(0, "%s", explain(&st)); return; }
    fd_real *x = two[0]->run->x;
    OK(!memcmp(x, two[1]->run->x, sizeof q.x), "the end");
    memcpy(q.x, x, sizeof q.x);
    for (int i = 0; i < 4; i++) two[0]->logw[i] = NAN;
    fd_particles_resample(two[0], a);
    for (int i = 0; i < 4; i++)
        OK(!memcmp(x + i * N, q.x + 3 * N, N * sizeof *x), "particle %d", i);
    OK(!st.code, "%s", explain(&st));
    test_free();
}

/* Moves that there is nothing to move for, and steps that there are none of */
static void no_moves(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    scene q;
    scene_new(&q, &a);
    const fd_gain *g = fd_gain_new(&a, &q.o, q.noise, NULL);
    const fd_gain *bare = fd_gain_new(&a, &q.bare, q.noise, NULL);
    fd_real was[4 * N], D[N];
    double e[2] = { 7, 7 };
    const double one = 1, fall[3] = { .6, .3, .1 }, below[3] = { .5, 0, -.5 }, nought[2] = { 0 };
    const double first[3] = { 1.5, 1, .5 }, zero[N] = { 0 };
    const fd_cov *point = fd_cov_table(&a, &q.s, zero);
    memcpy(was, q.x, sizeof was);
    SAYS(fd_ucos_noise(g, &q.flow, fd_seed(1), 0, 1, &one, D, a), FD_EARG, "where m = 0");
    fd_sampler how = { .p = &q.vp, .model = fd_oracle_gauss(&a, &q.vp, NULL, point), .t = fall,
                       .steps = 2, .scheme = FD_DDIM };
    fd_split_gibbs(&how, g, q.y, 1, fd_seed(1), 0, 1, NULL, a);
    OK(!st.code, "no functions to sweep");
    /* as released: an observation that D has already */
    fd_real z[2][N];
    for (int zeta = 0; zeta < 2; zeta++) {
        const fd_released r = { how, &q.bare, nought, FD_FUNDPS_ROOT, zeta };
        memcpy(z[zeta], q.x, sizeof *z);
        fd_released_step(&r, 0, 1, z[zeta], a);
    }
    OK(!memcmp(z[0], z[1], sizeof *z) && memcmp(z[0], q.x, sizeof *z), "nothing to mend");
    how.steps = 0;
    SAYS(fd_split_gibbs(&how, g, q.y, 1, fd_seed(1), 0, 1, q.x, a), FD_EARG, "needs steps");
    how.steps = 2;
    SAYS(fd_split_gibbs(&how, g, q.y, 1, fd_seed(1), 0, 1, q.x, a), FD_EARG, "start at the time");
    how.p = &q.heat, how.model = fd_oracle_gauss(&a, &q.heat, NULL, q.data);
    SAYS(fd_split_gibbs(&how, g, q.y, 1, fd_seed(1), 0, 1, q.x, a), FD_EARG, "one m and v for all");
    how.p = &q.flow, how.model = fd_oracle_gauss(&a, &q.flow, NULL, q.data), how.steps = 2;
    fd_released old = { how, &q.o, q.y, FD_FUNDPS, 1 };
    old.how.t = below;
    SAYS(fd_released_step(&old, 1, 1, q.x, a), FD_EARG, "sigma is infinite or 0");
    old.how.t = first;
    SAYS(fd_released_step(&old, 0, 1, q.x, a), FD_EARG, "sigma is infinite or 0");
    SAYS(fd_eci_step(&q.flow, &how.model, bare, q.y, 0, -.1, 1, q.x, NULL, a), FD_EARG,
         "no noise to keep");
    fd_eci_step(&q.flow, &how.model, bare, q.y, .5, .4, 1, NULL, NULL, a);
    how.p = &q.vp, how.scheme = FD_VE_PREDICTOR;
    SAYS(fd_noise_step(&how, &q.o, .5, .4, 1, e, NULL, NULL, a), FD_EARG, "is for m = 1");
    OK(!memcmp(q.x, was, sizeof was) && e[0] == 7 && !st.code, "nothing is written");
    test_free();
}

/* ---- Bridges --------------------------------------------------------------------------------- */

/* Modes without noise go where the equation takes them. */
static void no_noise(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, 0, .2, .1 }, rate[N] = { 1, -.7, 2, 3 }, u[N] = { 1, -1, .5, .4 };
    const fd_linear l = { fd_cov_table(&a, &s, lam), rate, 1 }, brief = { l.noise, rate, 0 };
    double end_u[N] = { .3, -exp(.7), .1, .2 }, got[N], cov[2] = { 7, 7 };
    fd_real x0[N], end[N], x[N];
    values(&s, u, x0, a), values(&s, end_u, end, a);
    memcpy(x, x0, sizeof x);
    fd_bridge_step(&l, 0, .4, 1, x, end, NULL, a);
    coefficients(&s, x, got, a);
    NEAR(got[1], -exp(.7 * .4), TOL(1e-13, 1e-5), "a mode without noise");
    NEAR(got[0], (sinh(.6) * u[0] + sinh(.4) * end_u[0]) / sinh(1), TOL(1e-13, 1e-5), "with noise");
    fd_bridge_drift(&l, 0, 1, x0, end, x, a);
    coefficients(&s, x, got, a);
    NEAR(got[1], -.7, TOL(1e-13, 1e-5), "its drift");
    double want = 0;
    for (int k = 0; k < N; k += 1 + !k)
        want += pow(end_u[k] - exp(-rate[k]) * u[k], 2) * 2 * rate[k]
                / (lam[k] * (1 - exp(-2 * rate[k])));
    NEAR(fd_bridge_cost(&l, x0, end, NULL, a), want, TOL(1e-11, 1e-4) * want, "its cost is 0");
    const fd_mix at = { 1, NULL, end, NULL };
    fd_bridge_end_mix(&l, .5, x0, &at, NULL, 0, 1, x0, x, a);
    coefficients(&s, x, got, a);
    NEAR(got[1], -exp(.7 * .5), TOL(1e-13, 1e-5), "its end"), NEAR(got[0], .3, TOL(1e-13, 1e-5),
                                                                  "the other's");
    fd_schroedinger_cov(&(fd_linear){ l.noise, NULL, 1 }, (double[N]){ 0 }, lam, got, a);
    NEAR(got[0], 0, 0, "of a point");
    SAYS(fd_linear_law(&brief, 0, 1, cov, cov, a), FD_EARG, "T must be positive");
    SAYS(fd_linear_heat(&a, l.noise, NAN, 1, 1), FD_EARG, "nu or c is not finite");
    SAYS(fd_linear_heat(&a, l.noise, 1, INFINITY, 1), FD_EARG, "nu or c is not finite");
    OK(cov[0] == 7, "nothing is written");
    test_free();
}

static void runs_away(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)t;
    y[0] = x[0] > 0 ? INFINITY : -x[0], y[1] = 0;
}

static void round_noise(const void *self, const double *x, double t, double *G)
{
    const double *size = self;
    (void)x, (void)t;
    G[0] = G[3] = *size, G[1] = G[2] = 0;
}

static void proposals(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    double size = 1;
    const fd_system e = { 2, 2, runs_away, round_noise, NULL, &size };
    const double t[3] = { 0, .5, 1 }, end[2] = { -1, 0 }, B[4] = { -1, 0, 0, 0 }, zero[2] = { 0 };
    const double bad[4] = { 1, 2, 2, 1 }, tiny[4] = { 1e-320, 0, 0, 1e-320 };
    const double huge[4] = { -1e30, 0, 0, -1e30 }, gamma[4] = { 1, 0, 0, 1 };
    fd_proposal how = { .e = &e, .steps = 2, .t = t, .B = B, .end = end,
                        .weight = FD_PROPOSAL_INTEGRAL }, with = how;
    with.beta = zero;
    const fd_proposal *g = fd_proposal_new(&a, &how), *same = fd_proposal_new(&a, &with);
    if (!g || !same) { OK(0, "%s", explain(&st)); return; }
    OK(g->c[0] == same->c[0] && !memcmp(g->v, same->v, 4 * sizeof *g->v)
       && !memcmp(g->H, same->H, 8 * sizeof *g->H), "no beta is one of 0");
    double path[12] = { 1, 0, 0, 0, 0, 0, -1, 0 }, z[8] = { 0 }, logw[2] = { 7, 7 }, x[4] = { 1 };
    SAYS(fd_proposal_path(g, 2, z, path, logw, a), FD_ENAN, "path, step: 0, 0");
    OK(logw[0] == 7 && logw[1] == 7 && path[8] == 0, "no weights, and no other path");
    FD_FAIL(&st, FD_EIO, "here", "before");
    fd_proposal_path(g, 1, z, path + 6, logw, a);
    OK(logw[0] == 7, "nor after a failure");
    st.code = FD_OK;
    SAYS(fd_system_step(&e, FD_SDE_EULER, 0, .1, 2, x, z, a), FD_ENAN, "system, number: 0, 0");
    OK(x[0] == 1 && x[2] == 0, "no step, and no other system");
    with = how, with.S = bad;
    SAYS(fd_proposal_new(&a, &with), FD_EDATA, "not positive definite");
    with = how, with.S = bad, with.gamma = gamma;
    SAYS(fd_proposal_new(&a, &with), FD_EDATA, "not positive definite");
    with = how, with.gamma = tiny;
    SAYS(fd_proposal_new(&a, &with), FD_EDATA, "not positive definite");
    with = how, with.B = huge;
    SAYS(fd_proposal_new(&a, &with), FD_EDATA, "not positive definite");
    how.weight = FD_PROPOSAL_CHAIN, path[6] = -1;
    g = fd_proposal_new(&a, &how);
    size = 0;
    SAYS(fd_proposal_path(g, 1, z, path + 6, logw, a), FD_EDATA, "not positive definite");
    OK(logw[0] == 7, "no weight where Sigma is singular");
    test_free();
}

/* A basis with more modes than points, which is none: nothing is touched behind what it has. */
static void too_many_modes(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_real basis[6] = { 1, 0, 0, 1, (fd_real).6, (fd_real).8 }, unit[2] = { 1, 1 };
    const fd_space s = fd_dense(NULL, 2, 3, basis, unit, 1);
    const double lam[3] = { 1, .5, .2 }, t[2] = { 1, .5 };
    double var[3] = { 1, 1, 1 };
    fd_cov *c = fd_cov_table(&a, &s, lam);
    const fd_process p = fd_vp(c, .1, 20);
    const fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&a, &p, NULL, c), .t = t,
                             .steps = 1, .scheme = FD_PF_HEUN };
    fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 1 });
    fd_obs_noise(&a, &o, .1);
    SAYS(fd_loglik(&how, 1, fd_seed(1), 0, 1, unit, var, a), FD_EARG,
         "for probes no derivative on a grid");
    OK(var[0] == 1, "nothing is written");
    fd_exact_law(&how, NULL, var, a);
    for (int k = 0; k < 3; k++) OK(isfinite(var[k]), "a law: %g", var[k]);
    OK(fd_score_power(&p, c, &o, .5, a) > fd_score_power(&p, c, NULL, .5, a) && !st.code,
       "what is seen adds to the score: %s", explain(&st));
    test_free();
}

/* ---- Chains ---------------------------------------------------------------------------------- */

/* Increments of 0 and those of Student's with few degrees of freedom; numbers that are none */
static void increments(void)
{
    enum { P = 9, SWEEPS = 400 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, P);
    const fd_levy laplace = { FD_LEVY_LAPLACE, 1, .3, 1, .5 };
    const fd_levy switched = { FD_LEVY_BERNOULLI, 1, .3, 1, .5 };
    const fd_levy student = { FD_LEVY_STUDENT, 1, .3, .5, .5 };
    const double y = 1;
    double w[P - 1], mean = 0;
    fd_real x[P];
    fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 4 });
    fd_obs_noise(&a, &o, .3);
    for (int i = 0; i < P - 1; i++) w[i] = 1e-60;                    /* 1/w = 1/(b z)^2 of d = 0 */
    fd_levy_sweep(&laplace, &o, &y, fd_seed(1), 0, w, x, a);
    for (int i = 0; i < P - 1; i++)
        OK(w[i] > 0 && w[i] < 40 * .09, "an increment of 0 has w = (b z)^2: %g", w[i]);
    for (int k = 0; k < SWEEPS; k++) {                               /* E[1/w | d] */
        fd_levy_sweep(&student, &o, &y, fd_seed(2), (uint32_t)k, w, x, a);
        for (int i = 0; i < P - 1; i++) {
            const double d = (double)x[i + 1] - (double)x[i];
            mean += (.5 * .09 + d * d) / (w[i] * 1.5) / (SWEEPS * (P - 1));
        }
    }
    NEAR(mean, 1, 5 / sqrt(.75 * SWEEPS * (P - 1)), "1/w of a Student increment");
    w[0] = NAN;
    SAYS(fd_levy_sweep(&laplace, &o, &y, fd_seed(1), 0, w, x, a), FD_EDATA, "positive definite");
    SAYS(fd_levy_sweep(&switched, &o, &y, fd_seed(1), 0, w, x, a), FD_EDATA, "positive definite");
    const fd_obs empty = { .m = 0 };
    OK(!fd_obs_potential(&a, &empty, &y).value && !st.code, "of nothing");
    test_free();
}

/* a potential whose gradient is no number once the chain has begun */
static double torn(const void *self, const fd_space *s, const fd_real *x, fd_real *g, fd_arena a)
{
    int *const calls = *(int *const *)self;
    (void)x, (void)a;
    for (ptrdiff_t i = 0; g && i < fd_size(s); i++) g[i] = *calls ? (fd_real)NAN : 0;
    ++*calls;
    return 0;
}

static void vanish(void *self, int b, double *x, const double *z, fd_arena a)
{
    (void)self, (void)z, (void)a;
    for (int i = 0; i < 2 * b; i++) x[i] = 0;
}

static void no_number(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = line(&a, N);
    const double lam[N] = { 1, .5, .2, .1 };
    fd_cov *c = fd_cov_table(&a, &s, lam);
    int calls = 0, *const counted = &calls;
    const fd_mcmc how = { .prior = c, .phi = { torn, &counted }, .kind = FD_MCMC_MALA, .h = .5,
                          .adapt = 9 };
    fd_chain *k = fd_chain_begin(&a, &how, fd_seed(1), 0, NULL);
    OK(k && !fd_chain_step(k, a) && !k->accepted && k->h < .5 && isnan(k->ratio) && !st.code,
       "a ratio that is no number rejects, and makes the step shorter");
    double mean[2] = { 1, 2 }, cov[4] = { 1, 0, 0, 1 };
    OK(fd_affine_law(vanish, NULL, 2, 0, mean, cov, a) == 0 && mean[0] == 0 && mean[1] == 0
       && cov[0] == 0 && cov[3] == 0, "a step to 0 is affine");
    fd_real x[2] = { 7 };
    fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 1 });
    fd_obs_noise(&a, &o, .3);
    const fd_posterior *post = fd_posterior_new(&a, NULL, c, &o, mean);
    FD_FAIL(&st, FD_EIO, "here", "before");
    fd_posterior_draw(post, fd_seed(1), 0, 1, x, a);
    fd_sde_step(&(fd_sde){ NULL, NULL, NULL, NULL }, FD_SDE_EULER, 0, 1, 1, x, x, a);
    OK(x[0] == 7 && st.code == FD_EIO, "no step after a failure");
    test_free();
}

/* Shapes that are frozen have everywhere the noise that they have at first. */
static void frozen(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 18, &st);
    const double from[4] = { 0, 0, 1, .5 }, z[4] = { .3, -.2, .8, 1 }, centre[4] = { 0, 1, 1, 0 };
    fd_shapes how = { .points = 2, .dim = 2, .centres = 2, .centre = centre, .size = 1,
                      .width = .7, .from = from };
    double G[2][16], div[4];
    const fd_system free = fd_kunita(&a, &how);
    how.frozen = 1;
    const fd_system ice = fd_kunita(&a, &how);
    if (!ice.g || !free.g) { OK(0, "%s", explain(&st)); return; }
    free.g(free.self, from, 0, G[0]), ice.g(ice.self, z, 0, G[1]);
    ice.div(ice.self, z, 0, div);
    for (int i = 0; i < 16; i++) NEAR(G[1][i], G[0][i], 0, "entry %d", i);
    NEAR(G[0][0], exp(-1 / .98), 1e-15, "its kernel"), NEAR(div[0], 0, 0, "no divergence");
    free.g(free.self, z, 0, G[0]);
    OK(G[0][0] != G[1][0], "but where they are free");
    test_free();
}

void test_edges(void)
{
    processes();
    clocks();
    no_rows();
    conditions();
    time_laws();
    starts();
    begins();
    many_places();
    many_numbers();
    few_numbers();
    modes_seen();
    multiples();
    no_guidance();
    last_particles();
    no_moves();
    no_noise();
    proposals();
    too_many_modes();
    increments();
    no_number();
    frozen();
}
