/* test_contracts.c -- sentences of fd.h that the other tests do not hold: that all particles are
 * guided, that a mixture is weighed alike by all who weigh it, that a model, a potential and a
 * process are what they were made for, and what is recorded where they are not. */
#include "test.h"
#include <locale.h>

enum { N = 8, M = 2 };

static fd_space cells(fd_arena *a, int n)
{
    return fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
}

/* a process with an exact model and two noisy values of a function */
typedef struct {
    fd_space s;
    fd_cov *c, *c0;
    fd_process p;
    fd_model m;
    fd_obs o;
    double y[M];
} setting;

static void setting_new(setting *q, fd_arena *a)
{
    *q = (setting){ .s = cells(a, N), .y = { .7, -.4 } };
    q->c = fd_cov_matern(a, &q->s, 1, .2, .5), q->c0 = fd_cov_matern(a, &q->s, 1, .4, 1.5);
    q->p = fd_vp(q->c, .1, 20);
    q->m = fd_oracle_gauss(a, &q->p, NULL, q->c0);
    q->o = fd_obs_pick(a, &q->s, M, (ptrdiff_t[]){ 1, 6 });
    fd_obs_noise(a, &q->o, .3);
}

/* x' = ax x + aD D_y + sd xi for each particle, D_y of fd_guided and the row of the scheme */
static void guided_particles(void)
{
    enum { P = 5 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    setting q;
    setting_new(&q, &a);
    const double t[] = { .5, .3 }, tb[P] = { .5, .5, .5, .5, .5 };
    const fd_sampler how = { .p = &q.p, .model = q.m, .t = t, .steps = 1,
                             .scheme = FD_ANCESTRAL };
    const fd_row row = fd_step_row(&q.p, FD_ANCESTRAL, 0, .5, .3, 0, &st);
    for (int rule = FD_GUIDE_EXACT; rule <= FD_GUIDE_DPS; rule++) {
        fd_arena b = a;
        fd_real x[P * N], D[P * N], xi[P * N];
        const fd_guide guide = { &q.p, q.m, &q.o, q.y, rule, 0, 0 };
        fd_particles *w = fd_particles_begin(&b, &how, &guide, fd_seed(3), P);
        const fd_model y = fd_guided(&b, &guide);
        if (!w || !y.eval) { OK(0, "%s", explain(&st)); return; }
        for (int i = 0; i < P; i++) w->logw[i] = 0;        /* so that nothing is resampled */
        memcpy(x, w->run->x, sizeof x);
        y.eval(y.self, &q.s, P, x, tb, D, b);
        fd_cov_draw(q.c, fd_stream(fd_seed(3), 's', 1), 0, P, xi, b);
        fd_particles_step(w, b);
        for (int i = 0; i < P * N; i++)
            NEAR(w->run->x[i], row.ax * (double)x[i] + row.aD * (double)D[i]
                 + row.sd * (double)xi[i], TOL(1e-11, 2e-5), "rule %d, particle %d", rule, i / N);
    }
    OK(!st.code, "%s", explain(&st));
}

/* The last noise is left out where the sampler says so, and the last D is told tdenoise. */
static void last_particles(void)
{
    enum { P = 4 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    setting q;
    setting_new(&q, &a);
    const double t[] = { .5, .3 }, told[P] = { .35, .35, .35, .35 };
    const fd_guide none = { .o = &q.o, .y = q.y };
    fd_real x[P * N], d[P * N], got[2][P * N];
    for (int denoise = 0; denoise < 2; denoise++) {
        fd_arena b = a;
        const fd_sampler how = { .p = &q.p, .model = q.m, .t = t, .steps = 1, .quiet = 1,
                                 .scheme = FD_ANCESTRAL, .denoise = denoise, .tdenoise = .35 };
        fd_particles *w = fd_particles_begin(&b, &how, &none, fd_seed(3), P);
        if (!w) { OK(0, "%s", explain(&st)); return; }
        for (int i = 0; i < P; i++) w->logw[i] = 0;
        memcpy(x, w->run->x, sizeof x);
        fd_particles_step(w, b);
        memcpy(got[denoise], w->run->x, sizeof x);
        fd_advance(&how, .5, .3, P, x, NULL, NULL, b);
    }
    NEAR(test_maxdiff(P * N, got[0], x), 0, TOL(1e-12, 1e-5), "a quiet last step");
    fd_predict(&q.m, FD_X0, &q.p, P, x, told, d, a);
    NEAR(test_maxdiff(P * N, got[1], d), 0, TOL(1e-12, 1e-5), "the time of the last D");
    OK(!st.code, "%s", explain(&st));
}

/* What fd_guided refuses, particles refuse, too. */
static void wrong_particles(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    setting q;
    setting_new(&q, &a);
    const double t[] = { .5, .3 };
    for (int i = 0; i < 3; i++) {
        fd_sampler how = { .p = &q.p, .model = q.m, .t = t, .steps = 1, .scheme = FD_ANCESTRAL };
        fd_guide g = { &q.p, q.m, &q.o, q.y, FD_GUIDE_DPS, 0, 0 };
        if (i == 0) how.model.vjp = NULL;
        if (i == 1) g.rule = 9;
        if (i == 2) g.zeta = -1;
        SAYS(OK(!fd_particles_begin(&a, &how, &g, fd_seed(1), 4), "%d", i), FD_EARG,
             i == 0 ? "vjp" : i == 1 ? "no such rule: 9" : "zeta");
    }
}

/* e from t to s by the optimal variance has the law N(0, (m_s^2 + v_s) Gamma) exactly. */
static void noise_optimal(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    setting q;
    setting_new(&q, &a);
    const fd_sampler how = { .p = &q.p, .model = q.m, .scheme = FD_ANCESTRAL_OPTIMAL };
    for (int i = 0; i < 3; i++) {
        const double t = .9 - .3 * i, s = .5 * t, no[M] = { 0, 0 }, one[M] = { 1, 1 };
        double e[M] = { 1, 1 }, n[M] = { 0, 0 };
        const fd_process p = i == 2 ? fd_ve(q.c, .1, 3) : q.p;
        fd_sampler now = how;
        now.p = &p;
        const fd_coef T = fd_law(&p, t, 0), S = fd_law(&p, s, 0);
        fd_noise_step(&now, &q.o, t, s, 1, e, NULL, no, a);
        fd_noise_step(&now, &q.o, t, s, 1, n, NULL, one, a);
        NEAR(e[1] * e[1] * (T.m * T.m + T.v) + n[1] * n[1] / (.3 * .3), S.m * S.m + S.v, 1e-12,
             "the law of e from %g to %g", t, s);
    }
    OK(!st.code, "%s", explain(&st));
}

static void copy_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *t, fd_real *y, fd_arena scratch)
{
    (void)self, (void)t, (void)scratch;
    memcpy(y, x, (size_t)b * (size_t)fd_size(s) * sizeof *y);
}

/* A model that is asked on another grid than that of its parts says so. */
static void other_grids(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    setting q;
    setting_new(&q, &a);
    const fd_space fine = cells(&a, 2 * N);
    const double half = .5;
    const fd_gain *g = fd_gain_new(&a, &q.o, q.c, NULL);
    const fd_model raw = { FD_X0, copy_eval, NULL, NULL, NULL, NULL };
    const fd_model made[] = {
        fd_guided(&a, &(fd_guide){ &q.p, q.m, &q.o, q.y, FD_GUIDE_DPS, 0, 0 }),
        fd_free_guided(&a, &q.p, q.m, q.m, 2), fd_ucos(&a, g, &q.p, q.y, raw),
        fd_policy_model(&a, &q.p, q.m, q.m, .5) };
    fd_real x[2 * N] = { 0 }, y[2 * N] = { 7 };
    for (int i = 0; i < 4; i++) {
        OK(made[i].eval, "model %d: %s", i, explain(&st));
        if (!made[i].eval) return;
        SAYS(made[i].eval(made[i].self, &fine, 1, x, &half, y, a), FD_ESHAPE, "points: 16, 8");
    }
    SAYS(made[3].vjp(made[3].self, &fine, 1, x, &half, x, y, a), FD_ESHAPE, "points: 16, 8");
    OK(y[0] == 7, "nothing is said there");
    SAYS(OK(!fd_ucos(&a, g, &q.p, q.y, (fd_model){ 0 }).eval, "-"), FD_EARG,
         "the raw model is empty");
    /* potentials, which a chain asks on the grid of its prior */
    fd_cov *c16 = fd_cov_on(&a, q.c0, &fine);
    const double t[] = { 1, .5 };
    const fd_sampler flow = { .p = &q.p, .model = q.m, .t = t, .steps = 1, .scheme = FD_DDIM };
    const fd_potential phi = fd_obs_potential(&a, &q.o, q.y);
    const fd_potential far[] = { phi, fd_latent_potential(&a, &flow, &phi) };
    for (int i = 0; i < 2; i++) {
        const fd_mcmc mc = { .prior = c16, .phi = far[i], .kind = FD_MCMC_PCN, .h = .2 };
        SAYS(OK(!fd_chain_begin(&a, &mc, fd_seed(1), 0, x), "potential %d", i), FD_ESHAPE,
             "points: 16, 8");
    }
}

/* An observation that says nothing leaves fd_oracle_mix: with a smooth noise, whose eigenvalues
 * soon are below the rounding of a coefficient, and where components have modes of their own. */
static void mixture_odds(void)
{
    enum { P = 64, B = 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    const fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, NULL, 1);
    fd_cov *rbf = fd_cov_rbf(&a, &s, 1, .2), *half = fd_cov_rbf(&a, &s, .5, .2);
    fd_cov *low = fd_cov_white(&a, &s, 1, 3), *high = fd_cov_white(&a, &s, .6, 5);
    fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 5 });
    const double y = .3, w[2] = { .4, .6 };
    double t[B];
    fd_real *means = fd_new(&a, fd_real, 2 * P), *x0 = fd_new(&a, fd_real, B * P);
    fd_real *x = fd_new(&a, fd_real, B * P), *got = fd_new(&a, fd_real, 2 * B * P);
    if (!got) { OK(0, "%s", explain(&st)); return; }
    fd_obs_noise(&a, &o, 1e6);
    for (int i = 0; i < P; i++) means[P + i] = (fd_real).5;
    for (int i = 0; i < B; i++) t[i] = .05 + .15 * i;
    for (int kind = 0; kind < 2; kind++) {
        const fd_cov *c[2] = { kind ? low : rbf, kind ? high : half };
        const fd_process p = fd_vp(kind ? low : rbf, .1, 20);
        const fd_model mix = fd_oracle_mix(&a, &p, 2, w, means, c);
        const fd_model post = fd_oracle_posterior(&a, &p, 2, w, means, c, &o, &y);
        if (!mix.eval || !post.eval) { OK(0, "%s", explain(&st)); return; }
        fd_cov_draw(c[1], fd_seed(4), 0, B, x0, a);
        fd_perturb(&p, fd_seed(5), 0, B, x0, t, x, NULL, a);
        mix.eval(mix.self, &s, B, x, t, got, a);
        post.eval(post.self, &s, B, x, t, got + B * P, a);
        for (int i = 0; i < B; i++)
            NEAR(test_maxdiff(P, got + i * P, got + (B + i) * P), 0, TOL(1e-8, 2e-3),
                 "mixture %d at t = %g", kind, t[i]);
    }
    OK(!st.code, "%s", explain(&st));
}

/* int N(z; at, c) N(z; x, v)/N(z; x0, V) dz and that of z times it; c = 0: a point */
static void end_integral(double at, double c, double x, double v, double x0, double V, double I[2])
{
    enum { STEPS = 8000 };
    const double wide = 12 * sqrt(c), h = 2 * wide / STEPS;
    I[0] = I[1] = 0;
    for (int i = 0; i <= (c > 0 ? STEPS : 0); i++) {
        const double z = c > 0 ? at - wide + i * h : at, d = z - at;
        const double f = exp((c > 0 ? -.5 * d * d / c : 0) - .5 * (z - x) * (z - x) / v
                             + .5 * (z - x0) * (z - x0) / V) * sqrt(V / v)
                       * (c > 0 ? h / sqrt(2 * acos(-1) * c) : 1);
        I[0] += f, I[1] += f * z;
    }
}

/* A mixture at the end whose components have no variance in modes where others have some */
static void end_mixture(void)
{
    enum { K = 4 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, K);
    fd_cov *q = fd_cov_white(&a, &s, .8, 0);
    const double lam[2][K] = { { .5, 0, .3, 1e-30 }, { .2, .4, 0, .1 } }, w[2] = { .3, .7 };
    const fd_real at[2 * K] = { 1, .5f, -.5f, .25f, -.5f, 1, .5f, -1 };
    const fd_real x0[K] = { .25f, -.5f, 0, .5f }, x[K] = { .5f, 1.5f, -.25f, -.5f };
    const fd_cov *c[2] = { fd_cov_table(&a, &s, lam[0]), fd_cov_table(&a, &s, lam[1]) };
    fd_real points[2 * K], start[K], now[K], end[K];
    fd_from_modes(&s, 2, at, points, a);
    fd_from_modes(&s, 1, x0, start, a), fd_from_modes(&s, 1, x, now, a);
    const fd_linear l = { q, NULL, 1 };
    const double t = .4;
    double I[2][K][2], odds[2] = { w[0], w[1] };
    for (int j = 0; j < 2; j++)
        for (int k = 0; k < K; k++) {
            end_integral((double)at[j * K + k], lam[j][k] > 1e-20 ? lam[j][k] : 0, (double)x[k],
                         .8 * (1 - t), (double)x0[k], .8, I[j][k]);
            odds[j] *= I[j][k][0];
        }
    fd_bridge_end_mix(&l, t, start, &(fd_mix){ 2, w, points, c }, NULL, 0, 1, now, end, a);
    fd_to_modes(&s, 1, end, end, a);
    for (int k = 0; k < K; k++) {
        double want = 0;
        for (int j = 0; j < 2; j++) want += odds[j] * I[j][k][1] / I[j][k][0];
        NEAR(end[k], want / (odds[0] + odds[1]), TOL(1e-9, 2e-5), "mode %d of the end", k);
    }
    OK(!st.code, "%s", explain(&st));
}

/* The coupling is even in a, however large: a bridge is. */
static void coupling_even(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, 4);
    fd_cov *q = fd_cov_white(&a, &s, .5, 0);
    const double up[4] = { .5, 2, 40, 4000 }, down[4] = { -.5, -2, -40, -4000 };
    const double s0[4] = { 1, .5, 1, 1 }, s1[4] = { .8, 1, 1, 1 };
    double cov[2][4];
    for (int i = 0; i < 2; i++) {
        const fd_linear l = { q, i ? down : up, 1 };
        fd_schroedinger_cov(&l, s0, s1, cov[i], a);
    }
    for (int k = 0; k < 4; k++) {
        const double V = .5 * sinh(up[k]) / up[k], p = 2 * s0[k] * s1[k];
        for (int i = 0; i < 2; i++)
            NEAR(cov[i][k], k < 3 ? p * p / (2 * (sqrt(p * p + V * V) + V)) : 0,
                 1e-13 * (k < 2 ? 1 : cov[i][k] + 1e-300), "a = %g", i ? down[k] : up[k]);
    }
    OK(!st.code, "%s", explain(&st));
}

/* a potential that is defined for x_0 > 5 only */
static double walled(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                     fd_arena scratch)
{
    (void)self, (void)s, (void)g, (void)scratch;
    return x[0] > 5 ? (double)x[1] * (double)x[1] : NAN;
}

/* A chain goes on from where it is, wherever Phi is not a number, and after three billion steps. */
static void long_chains(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, N);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .4, 1.5);
    fd_real mean[N] = { 0 }, u[N] = { 6, 1, 1, 1, 1, 1, 1, 1 };
    for (int i = 0; i < 2; i++) {
        const fd_mcmc mc = { .prior = c, .mean = i ? mean : NULL, .phi = { walled, NULL },
                             .kind = FD_MCMC_PCN, .h = .1, .adapt = 1 };
        fd_chain *x = fd_chain_resume(&a, &mc, fd_seed(2), 0, u, 3000000000u, .2, 7, 9);
        OK(x && !st.code, "a chain goes on where Phi is a number: %s", explain(&st));
        st.code = FD_OK;
        if (!x) continue;
        OK(x->k == 3000000000u && x->accepted == 7 && x->calls == 9 && x->phi == 1, "its state");
        fd_chain_step(x, a);
        OK(x->h == .2 && x->k == 3000000001u, "the step stays: %g", x->h);
    }
}

/* What no other function says of a process that could not be made, these say. */
static void no_process(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    setting q;
    setting_new(&q, &a);
    const char *why = "fd_ou: tmax must be above 0";
    const fd_process p = fd_ou(q.c, -1);
    const fd_gain *g = fd_gain_new(&a, &q.o, q.c, NULL);
    fd_sampler how = { .p = &p, .model = q.m, .scheme = FD_DDIM };
    const fd_cov *c[1] = { q.c0 };
    const double one = .5;
    fd_real x[N] = { 7 };
    double e[M] = { 7, 7 };
    SAYS(fd_langevin(&p, &q.m, NULL, .5, .1, 1, 1, x, NULL, a), FD_EARG, why);
    SAYS(fd_guided(&a, &(fd_guide){ &p, q.m, &q.o, q.y, FD_GUIDE_DPS, 0, 0 }), FD_EARG, why);
    SAYS(fd_oracle_posterior(&a, &p, 1, NULL, NULL, c, &q.o, q.y), FD_EARG, why);
    SAYS(fd_path_move(g, &p, FD_PATH_MEAN, 1, .5, 1, q.y, NULL, e, a), FD_EARG, why);
    SAYS(fd_noise_step(&how, &q.o, .5, .4, 1, e, NULL, NULL, a), FD_EARG, why);
    SAYS(fd_ucos(&a, g, &p, q.y, q.m), FD_EARG, why);
    SAYS(fd_ucos_noise(g, &p, fd_seed(1), 0, 1, &one, x, a), FD_EARG, why);
    SAYS(fd_policy_model(&a, &p, q.m, q.m, .5), FD_EARG, why);
    SAYS(fd_project_denoised(g, &p, .5, 1, q.y, x, e, x, e, a), FD_EARG, why);
    OK(x[0] == 7 && e[0] == 7, "nothing is done");
    /* samplers without times */
    how = (fd_sampler){ .p = &q.p, .model = q.m, .steps = 1, .scheme = FD_DDIM };
    double var[N] = { 7 };
    SAYS(fd_start_law(&how, NULL, var, a), FD_EARG, "needs steps and times");
    SAYS(fd_split_gibbs(&how, g, q.y, .5, fd_seed(1), 0, 1, x, a), FD_EARG,
         "needs steps and times");
    OK(x[0] == 7 && var[0] == 7, "nothing is done");
}

/* Where m = 0, a mode without data adds nothing to a sum with a = -m'/m in it. */
static void noise_alone(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, N);
    fd_cov *all = fd_cov_white(&a, &s, 1, 0), *few = fd_cov_white(&a, &s, 1, 2);
    for (int i = 0; i < 2; i++) {
        const fd_process p = fd_flow(i ? few : all, 0);
        const fd_conditions q = fd_conditions_at(&p, NULL, i ? all : few, 1, a);
        OK(q.start == INFINITY && q.smooth == INFINITY && q.drift == INFINITY
           && q.most == INFINITY, "at the end of a flow: %g, %g, %g", q.start, q.smooth, q.drift);
    }
    OK(!st.code, "%s", explain(&st));
}

/* Times that would not fall are an error, and are not written. */
static void no_times(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, N);
    fd_cov *c = fd_cov_white(&a, &s, 1, 0);
    fd_process p = fd_flow(c, 0);
    double t[6] = { 7 };
    p.tmin = .99995;                                  /* sigma = 2e4 */
    for (int rule = FD_RHO; rule <= FD_LOGSNR; rule++) {
        SAYS(fd_times(&p, rule, 0, 5, t, &st), FD_EARG, "fd_times: ");
        OK(t[0] == 7, "not written");
    }
    fd_times(&p, FD_LOGSNR, 0, 1, t, &st);
    OK(!st.code && t[0] == 1 && t[1] == .99995, "one step: %s", explain(&st));
}

/* The law of a chain at a time that is no number has none, and a pair is an error. */
static void no_time(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, N);
    const fd_process p = ddpm(&a, fd_cov_white(&a, &s, 1, 0), 10, 1e-3, .1);
    const fd_coef c = fd_law(&p, NAN, 0);
    const double t = NAN;
    fd_real x[N] = { 0 }, xt[N] = { 7 };
    OK(isnan(c.m) && isnan(c.v), "no law");
    SAYS(fd_perturb(&p, fd_seed(1), 0, 1, x, &t, xt, NULL, a), FD_EARG, "not finite");
    OK(xt[0] == 7, "no pair");
}

/* A = 0 weighs nothing, whatever the ratio; and data that are no numbers have no covariance. */
static void small_things(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    for (int rule = FD_POLICY_PLAIN; rule <= FD_POLICY_CLIPPED; rule++)
        OK(fd_policy_weight(rule, 1e4, 0, .2) == 0, "rule %d", rule);
    const fd_space s = cells(&a, N);
    fd_real x[2 * N] = { 0, 1, 2, NAN }, mean[N] = { 7 };
    SAYS(OK(!fd_cov_empirical(&a, &s, 2, x, 0, mean), "NaN"), FD_EDATA, "fd_cov_empirical");
    OK(mean[0] == 7, "no mean");
    OK(isnan(fd_opt_rate(NULL, 1)), "the rate of no optimiser");
}

/* The inner loop on a cloud has the norm of L2 of the cloud: points of a grid with its weights,
 * and each point twice with half of them, are that grid. */
static void inner_loop(void)
{
    enum { P = 16 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    const fd_arch h = { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 2,
                        .inr = { .mod = FD_MOD_SHIFT, .omega = 3, .inner = 2, .rate = .2 } };
    fd_net *net = fd_net_new(&a, &h, fd_seed(1));
    const fd_space grid = fd_grid(&a, 1, (int[]){ P }, NULL, NULL, 1);
    fd_real at[2 * P], weight[2 * P], x[2 * P], y[3][2 * P] = { { 0 } };
    fd_normal(fd_seed(2), P, x);
    for (int i = 0; i < 2 * P; i++) {
        at[i] = (fd_real)(i % P) / P, x[i] = x[i % P];
        weight[i] = 1;
    }
    for (int i = 0; i < 3; i++) {
        const int n = i < 2 ? P : 2 * P;
        fd_space s = grid;
        for (int k = 0; k < n; k++) weight[k] = (fd_real)1 / n;
        if (i) s = fd_dense(NULL, n, 0, x, weight, 1), s.at = at;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *v = fd_forward(net, &t, &s, fd_input(&t, 3, (int[]){ 1, 1, n }, x), NULL);
        if (v) memcpy(y[i], v->x, (size_t)n * sizeof *x);
        OK(v, "%s", explain(&st));
        fd_tape_end(&t);
    }
    for (int i = 1; i < 3; i++)
        NEAR(test_maxdiff(P, y[i], y[0]), 0, TOL(1e-12, 2e-5), "cloud %d", i);
}

/* Numbers that a network does not read are refused; so is a time that is not there. */
static fd_var *no_hidden(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    return fd_channels_first(p, fd_mlp(p, "m", fd_channels_last(p, x), 1, 0, 1, FD_GELU));
}

static fd_var *axial(fd_pass *p, fd_var *x, const void *self)
{
    const int n = *(const int *)self;
    fd_var *h = fd_dense_layer(p, "lift", fd_channels_last(p, x), 1, 4);
    h = fd_reshape(p->t, h, 3, (int[]){ p->b * n, n, 4 });
    h = fd_reshape(p->t, fd_attention_block(p, h, 4, 2, 8), 4, (int[]){ p->b, n, n, 4 });
    return fd_channels_first(p, fd_dense_layer(p, "proj", h, 4, 1));
}

/* tokens of all points see those of all functions at once, which `from` may not be */
static fd_var *crossed(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    fd_var *h = fd_dense_layer(p, "lift", fd_channels_last(p, x), 1, 4);
    fd_var *from = fd_reshape(p->t, h, 3, (int[]){ p->b * 2, 8, 4 });
    h = fd_reshape(p->t, h, 3, (int[]){ p->b, 16, 4 });
    h = fd_reshape(p->t, fd_cross_block(p, h, from, 4, 2, 8), 4, (int[]){ p->b, 4, 4, 4 });
    return fd_channels_first(p, fd_dense_layer(p, "proj", h, 4, 1));
}

static void networks_refuse(void)
{
    enum { P = 4 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    const int side = P;
    const fd_space plane = fd_grid(&a, 2, (int[]){ P, P }, NULL, NULL, 1);
    SAYS(OK(!fd_net_define(&a, no_hidden, NULL, &plane, fd_seed(1)), "-"), FD_EARG, "fd_mlp");
    SAYS(OK(!fd_net_define(&a, axial, &side, &plane, fd_seed(1)), "-"), FD_ESHAPE,
         "fd_attention_block");
    SAYS(OK(!fd_net_define(&a, crossed, NULL, &plane, fd_seed(1)), "-"), FD_ESHAPE,
         "fd_cross_block");
    fd_arch h = { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
                  .fno = { .modes = { 2 }, .lift = 8 } };
    SAYS(OK(!fd_net_new(&a, &h, fd_seed(1)), "-"), FD_EARG, "fno.lift");
    h.fno.lift = -1;
    OK(fd_net_new(&a, &h, fd_seed(1)), "one layer: %s", explain(&st));
    h = (fd_arch){ .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
                   .time = FD_TIME_FILM, .embed = 4, .fno = { .modes = { 2 } },
                   .field = { .kind = FD_SIREN, .width = 4, .layers = 1 } };
    fd_net *net = fd_net_new(&a, &h, fd_seed(1));
    const fd_space line = fd_grid(&a, 1, (int[]){ P }, NULL, NULL, 1);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *x = fd_input(&t, 3, (int[]){ 1, 1, P }, normals(&a, 1, P));
    SAYS(OK(net && !fd_encode(net, &t, &line, x, NULL), "-"), FD_EARG, "takes times");
}

#ifdef _OPENMP
/* From a parallel region of the caller's a function writes to its own arena only: it gets as much
 * as it needs alone. */
static void from_a_region(void)
{
    enum { FROM = 4, SAMPLES = 9, ROOM = 1 << 14 };
    static unsigned char mem[FROM][2 * ROOM];
    fd_status st, own[FROM];
    fd_arena a = test_arena(1 << 22, &st);
    const fd_space s = cells(&a, N);
    const fd_real *x = normals(&a, 3, SAMPLES * N);
    void *room = fd_take(&a, ROOM, 1);                 /* not mem, which then would be hidden */
    double got[FROM];
    const int threads = test_most_threads();
    test_use_threads(1);
    const double want = fd_crps(&s, SAMPLES, x, x + N, fd_arena_over(room, ROOM, &own[0]));
    const size_t need = fd_need(&own[0], NULL);
    memset(mem, 7, sizeof mem);
    test_use_threads(FROM);
    #pragma omp parallel for schedule(static)
    for (int i = 0; i < FROM; i++)
        got[i] = fd_crps(&s, SAMPLES, x, x + N, fd_arena_over(mem[i], need, &own[i]));
    test_use_threads(threads);
    for (int i = 0; i < FROM; i++) {
        int same = 1;
        for (size_t k = need; k < sizeof mem[i]; k++) same &= mem[i][k] == 7;
        OK(same && !own[i].code && got[i] == want, "thread %d: %s", i, explain(&own[i]));
    }
}
#endif

#ifndef FD_NO_STDIO
/* a locale with a comma for a point, where the system has one */
static int commas(void)
{
    static const char *const name[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE" };
    for (int k = 0; k < 4; k++) if (setlocale(LC_NUMERIC, name[k])) return 1;
    return 0;
}

/* A file has points, whatever the locale of the program that writes or reads it. */
static void other_locale(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    const fd_arch h = { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 1,
                        .tscale = .1, .inr.omega = 2.5 };
    const fd_net *net = fd_net_new(&a, &h, fd_seed(1));
    const char *path = test_path("locale.safetensors");
    for (int i = 0; i < 2; i++) {
        fd_net *back = NULL;
        if (i == 0) commas();
        fd_net_save(&st, path, net, NULL, NULL, a);
        setlocale(LC_NUMERIC, "C");
        if (i == 1) commas();
        fd_net_load(&a, path, &back, NULL);
        setlocale(LC_NUMERIC, "C");
        OK(back && back->arch.tscale == .1 && back->arch.inr.omega == 2.5, "%s with commas: %s",
           i ? "read" : "written", explain(&st));
        st.code = FD_OK;
    }
    const char *table = test_path("locale.csv");
    char text[16] = "";
    commas();
    fd_csv_save(&st, table, 1, (const char *const[]){ "v" }, 1, (const double[]){ 1.5 });
    setlocale(LC_NUMERIC, "C");
    FILE *file = fopen(table, "r");
    if (file) text[fread(text, 1, sizeof text - 1, file)] = 0, fclose(file);
    OK(!strcmp(text, "v\n1.5\n"), "a table with commas: %s", text);
    /* more digits than we write: a comma for a point is tried in numbers of 39 letters at most */
    fd_tensors f = fd_tensors_load(&a, path);
    for (int i = 0; i < f.metas; i++)
        if (!strcmp(f.meta[i].key, "arch.tscale"))
            f.meta[i].value = "0.10000000000000000000000000000000000000000";
    fd_tensors_save(&st, path, &f);
    for (int i = 0; i < 2; i++) {
        fd_net *back = NULL;
        const int comma = i && commas();
        fd_net_load(&a, path, &back, NULL);
        setlocale(LC_NUMERIC, "C");
        OK(comma ? !back && st.code == FD_EDATA : back && back->arch.tscale == .1,
           "many digits: %s", explain(&st));
        st.code = FD_OK;
    }
}
#endif

void test_contracts(void)
{
    static void (*const all[])(void) = {
        guided_particles, last_particles, wrong_particles, noise_optimal, other_grids,
        mixture_odds, end_mixture, coupling_even, long_chains, no_process, noise_alone, no_times,
        no_time, small_things, inner_loop, networks_refuse,
#ifdef _OPENMP
        from_a_region,
#endif
#ifndef FD_NO_STDIO
        other_locale,
#endif
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) all[i](), test_free();
}
