/* test_failures.c -- what cannot be done, of processes, samplers, posteriors, chains and bridges:
 * one table a reason, over all functions that may meet it. */
#include "test.h"

enum { N = 8, M = 40, B = 2 };                       /* points, numbers seen, functions */

/* what most of them are given */
typedef struct {
    fd_space s;
    fd_cov *c, *c0;                                  /* noise and data */
    fd_process p;
    fd_model m;
    fd_obs o, few;                                   /* each point five times; two, without noise */
    fd_gain *g;
    fd_potential phi;
    double y[M], t[4];
    fd_sampler how;
} kit;

static void kit_new(kit *k, fd_arena *a, int n)
{
    k->s = fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    k->c = fd_cov_matern(a, &k->s, 1, .2, .5), k->c0 = fd_cov_matern(a, &k->s, 1, .3, 1.5);
    k->p = fd_vp(k->c, .1, 20);
    k->m = fd_oracle_gauss(a, &k->p, NULL, k->c0);
    ptrdiff_t index[M];
    for (int i = 0; i < M; i++) index[i] = i % N, k->y[i] = cos(i);
    k->o = fd_obs_pick(a, &k->s, M, index), k->few = fd_obs_pick(a, &k->s, 2, index + 2);
    fd_obs_noise(a, &k->o, .3);
    k->g = fd_gain_new(a, &k->o, k->c, NULL);
    k->phi = fd_obs_potential(a, &k->o, k->y);
    k->t[0] = 1, k->t[1] = .6, k->t[2] = .3, k->t[3] = .1;
    k->how = (fd_sampler){ .p = &k->p, .model = k->m, .t = k->t, .steps = 3,
                           .scheme = FD_ANCESTRAL };
    OK(!a->st->code && k->g && k->phi.value, "%s", explain(a->st));
}

/* ---- A process that could not be made -------------------------------------------------------- */

/* function f given the process p; returns 0 where there is no such function */
static int with_process(int f, const kit *k, const fd_process *p, fd_real *x, double *e, fd_arena a)
{
    const double t[1] = { .5 }, r[1] = { .2 };
    const fd_cov *c[1] = { k->c0 };
    const fd_guide guide = { p, k->m, &k->o, k->y, FD_GUIDE_DPS, 0, 0 };
    fd_sampler how = k->how, flow = k->how;
    how.p = flow.p = p, flow.scheme = FD_DDIM;
    const fd_released old = { how, &k->o, k->y, FD_FUNDPS, 1 };
    const fd_daps daps = { flow, k->phi, 1, .01, 0 };
    const fd_condition sees = { .p = p, .base = FD_BASE_NONE, .predicts = FD_X0 };
    fd_gap gap;
    switch (f) {
    case 0: OK(!fd_guided(&a, &guide).eval, "guided"); break;
    case 1: fd_project_denoised(k->g, p, .5, 1, k->y, x, e, x, e, a); break;
    case 2: fd_path_move(k->g, p, FD_PATH_MEAN, .6, .5, 1, k->y, NULL, e, a); break;
    case 3: fd_noise_step(&how, &k->o, .6, .5, 1, e, NULL, NULL, a); break;
    case 4: OK(!fd_ucos(&a, k->g, p, k->y, k->m).eval, "UCoS"); break;
    case 5: fd_ucos_noise(k->g, p, fd_seed(1), 0, 1, t, x, a); break;
    case 6:
        OK(!fd_oracle_posterior(&a, p, 1, NULL, NULL, c, &k->o, k->y).eval, "posterior");
        break;
    case 7: fd_langevin(p, &k->m, NULL, .5, .1, 1, 1, x, NULL, a); break;
    case 8: OK(!fd_policy_model(&a, p, k->m, k->m, 1).eval, "policy"); break;
    case 9: fd_split_gibbs(&how, k->g, k->y, 1, fd_seed(1), 0, 1, x, a); break;
    case 10: OK(!fd_particles_begin(&a, &how, &guide, fd_seed(1), 4), "particles"); break;
    case 11: fd_released_step(&old, 0, 1, x, a); break;
    case 12: fd_eci_step(p, &k->m, NULL, NULL, .6, .5, 1, x, NULL, a); break;
    case 13: fd_daps_level(&daps, .4, fd_seed(1), 0, 1, x, a); break;
    case 14: OK(!fd_latent_potential(&a, &flow, &k->phi).value, "latent"); break;
    case 15: OK(isnan(fd_score_power(p, k->c0, NULL, .5, a)), "score"); break;
    case 16: OK(!fd_amortised_new(&a, &sees, NULL), "amortised"); break;
    case 17: fd_average_velocity(p, NULL, k->c0, 1, t, r, x, x, a); break;
    case 18: OK(fd_conditions_at(p, NULL, k->c0, .5, a).trace == 0, "conditions"); break;
    case 19: fd_start_law(&how, NULL, e, a); break;
    case 20: fd_exact_law(&how, NULL, e, a); break;
    case 21: gap = fd_terminal(p, NULL, k->c0, a), OK(gap.kl == 0, "gap"); break;
    case 22: {
        const fd_model m = fd_free_guided(&a, p, k->m, k->m, 2);
        if (m.eval) m.eval(m.self, &k->s, 1, x, t, x, a);
        break;
    }
    default: return 0;
    }
    return 1;
}

/* The first function that is given it says why; an empty one, whose constructor has said why, and
 * one after a failure make nothing happen. */
static void no_process(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    kit k;
    kit_new(&k, &a, N);
    fd_process none = fd_vp(k.c, -1, 20);
    fd_real x[N] = { 7 };
    double e[M] = { 7 };
    for (int f = 0; with_process(f, &k, &none, x, e, a); f++) {
        OK(st.code == FD_EARG && !strcmp(st.what, "the process could not be made")
           && strstr(explain(&st), none.why) && x[0] == 7 && e[0] == 7, "%d: %s", f, explain(&st));
        st.code = FD_OK;
        FD_FAIL(&st, FD_EIO, "here", "before");
        with_process(f, &k, &none, x, e, a);
        OK(st.code == FD_EIO && x[0] == 7 && e[0] == 7, "%d, after a failure", f);
        st.code = FD_OK;
    }
    none.why = NULL;
    for (int f = 0; f < 9; f++) {
        with_process(f, &k, &none, x, e, a);
        OK(!st.code && x[0] == 7 && e[0] == 7, "%d, an empty one: %s", f, explain(&st));
    }
    none = k.p, none.noise = NULL;
    for (int f = 0; f < 9; f++) {
        if (f > 1 && f < 6) continue;                              /* these know it by the gain */
        with_process(f, &k, &none, x, e, a);
        OK(!st.code && x[0] == 7 && e[0] == 7, "%d, without noise: %s", f, explain(&st));
    }
    test_free();
}

/* ---- Another grid ---------------------------------------------------------------------------- */

/* Models made of models, potentials and moves refuse functions on other points than theirs. */
static void other_points(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    kit k, far;
    kit_new(&k, &a, N), kit_new(&far, &a, 2 * N);
    const double t[1] = { .5 };
    fd_sampler flow = k.how;
    flow.scheme = FD_DDIM;
    const fd_gain *still = fd_gain_new(&a, &k.few, k.c, NULL);
    const fd_model m[] = { fd_guided(&a, &(fd_guide){ &k.p, k.m, &k.o, k.y, FD_GUIDE_DPS, 0, 0 }),
        fd_free_guided(&a, &k.p, k.m, k.m, 2), fd_ucos(&a, k.g, &k.p, k.y, far.m),
        fd_policy_model(&a, &k.p, k.m, k.m, 1), k.m,
        fd_oracle_posterior(&a, &k.p, 1, NULL, NULL, (const fd_cov *[]){ k.c0 }, &k.o, k.y) };
    const fd_potential phi[] = { k.phi, fd_latent_potential(&a, &flow, &k.phi) };
    fd_real x[2 * N] = { 7 }, y[2 * N] = { 7 };
    double e[M] = { 7 };
    OK(!st.code, "%s", explain(&st));
#define OTHER(call) \
    do { call; OK(st.code == FD_ESHAPE && x[0] == 7 && y[0] == 7 && e[0] == 7, #call ": %s", \
                  explain(&st)); st.code = FD_OK; } while (0)
    for (size_t i = 0; i < sizeof m / sizeof *m; i++) {
        OTHER(m[i].eval(m[i].self, &far.s, 1, x, t, y, a));
        if (m[i].vjp) OTHER(m[i].vjp(m[i].self, &far.s, 1, x, t, x, y, a));
        if (m[i].var) OTHER(m[i].var(m[i].self, &far.s, 1, x, t, y, a));
    }
    for (size_t i = 0; i < 2; i++) {
        const fd_mcmc mc = { .prior = far.c0, .phi = phi[i], .kind = FD_MCMC_PCN, .h = .1 };
        OTHER(OK(isnan(phi[i].value(phi[i].self, &far.s, x, y, a)), "%d", (int)i));
        OTHER(OK(!fd_chain_begin(&a, &mc, fd_seed(1), 0, x), "%d", (int)i));
    }
    OTHER(fd_langevin_implicit(far.c0, NULL, &k.phi, .1, 1, x, NULL, a));
    OTHER(fd_langevin(&far.p, &far.m, &k.phi, .5, .1, 1, 1, x, NULL, a));
    OTHER(fd_daps_step(far.c, &k.phi, 1, .1, 0, 1, y, x, NULL, a));
    OTHER(fd_project_denoised(k.g, &far.p, .5, 1, k.y, x, e, x, e, a));
    far.how.t = far.t;
    far.t[0] = fd_time_at(&far.p, 1), far.t[1] = .2, far.t[2] = .15;
    OTHER(fd_split_gibbs(&far.how, k.g, k.y, 1, fd_seed(1), 0, 1, x, a));
    OTHER(fd_eci_step(&far.p, &far.m, still, k.y, .6, .5, 1, x, NULL, a));
    OTHER(OK(!fd_guided(&a, &(fd_guide){ &far.p, far.m, &k.o, k.y, FD_GUIDE_DPS, 0, 0 }).eval,
             "guided"));
#undef OTHER
    test_free();
}

/* ---- What is missing ------------------------------------------------------------------------- */


static void missing(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    kit k;
    kit_new(&k, &a, N);
    fd_real x[N] = { 7 };
    fd_guide guide = { &k.p, k.m, &k.o, k.y, FD_GUIDE_DPS, 0, 0 };
    fd_sampler bare = k.how;
    bare.model.vjp = NULL;
    SAYS(OK(!fd_particles_begin(&a, &bare, &guide, fd_seed(1), 4), "."), FD_EARG, "with vjp");
    guide.rule = FD_GUIDE_DPS + 1;
    SAYS(OK(!fd_particles_begin(&a, &k.how, &guide, fd_seed(1), 4), "."), FD_EARG, "no such rule");
    guide.rule = FD_GUIDE_PIGDM, guide.zeta = NAN;
    SAYS(OK(!fd_particles_begin(&a, &k.how, &guide, fd_seed(1), 4), "."), FD_EARG, "zeta");
    guide.rule = 0, guide.zeta = 0;
    OK(fd_particles_begin(&a, &bare, &guide, fd_seed(1), 4) && !st.code, "unguided without vjp");
    SAYS(OK(!fd_ucos(&a, k.g, &k.p, k.y, (fd_model){ 0 }).eval, "."), FD_EARG, "model is empty");
    k.t[0] = fd_time_at(&k.p, 1), k.t[1] = .2, k.t[2] = .15;
    SAYS(fd_split_gibbs(&k.how, k.g, NULL, 1, fd_seed(1), 0, 1, x, a), FD_EARG,
         "needs the numbers that were observed");
    SAYS(fd_split_gibbs(&k.how, k.g, (double[M]){ 1, NAN }, 1, fd_seed(1), 0, 1, x, a), FD_EDATA,
         "an observation is not finite: 1");
    const fd_space none = { .nd = 0 };
    const ptrdiff_t index[1] = { 0 };
    OK(!fd_obs_pick(&a, NULL, 1, index).m && !fd_obs_pick(&a, &none, 1, index).m && !st.code,
       "to pick from nothing: %s", explain(&st));
    k.how.scheme = FD_DDIM;
    OK(!fd_latent_potential(&a, &k.how, &(fd_potential){ NULL, NULL }).value && !st.code,
       "a potential of none");
    OK(x[0] == 7, "nothing written");
    test_free();
}

/* ---- Something of the user's that fails ------------------------------------------------------ */

/* Models, observations and potentials that fail at one of their calls, counted down in `left`.
 * `later` counts the calls that come when something has failed already. */
static int left, later;

static int tick(fd_status *st)
{
    later += st->code != 0;
    if (left > 0 && !--left) FD_FAIL(st, FD_EIO, "mine", "has had enough");
    return st->code;
}

static void tired_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena a)
{
    const fd_model *m = self;
    if (!tick(a.st)) m->eval(m->self, s, b, x, t, y, a);
}

static void tired_vjp(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      const fd_real *dy, fd_real *dx, fd_arena a)
{
    const fd_model *m = self;
    if (!tick(a.st)) m->vjp(m->self, s, b, x, t, dy, dx, a);
}

static void tired_var(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      fd_real *w, fd_arena a)
{
    const fd_model *m = self;
    if (!tick(a.st)) m->var(m->self, s, b, x, t, w, a);
}

static void tired_pull(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_ask *ask, void *of, fd_real *dx, fd_arena a)
{
    const fd_model *m = self;
    fd_real *y = fd_raw(&a, fd_real, b * fd_size(s)), *dy = fd_raw(&a, fd_real, b * fd_size(s));
    if (!dy || tick(a.st)) return;
    m->eval(m->self, s, b, x, t, y, a);
    ask(of, 0, b, y, dy, a);
    if (!a.st->code && !tick(a.st)) m->vjp(m->self, s, b, x, t, dy, dx, a);
}

static void tired_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                        fd_arena a)
{
    const fd_obs *o = self;
    if (!tick(a.st)) o->apply(o->self, s, b, x, y, a);
}

static void tired_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                            const double *w, fd_real *g, fd_arena a)
{
    const fd_obs *o = self;
    if (!tick(a.st)) o->transpose(o->self, s, b, x, w, g, a);
}

static double tired_value(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                          fd_arena a)
{
    const fd_potential *phi = self;
    return tick(a.st) ? NAN : phi->value(phi->self, s, x, g, a);
}

/* the kit, with these in place of its own; bent: they say that F is not linear */
typedef struct {
    kit k;
    fd_process heat;
    fd_model m, pulled, hot, said;                   /* hot: of heat; said: of the noise */
    fd_obs o, bent, few;
    fd_potential phi;
    double many[B * M];
} tired;

static void tired_new(tired *q, fd_arena *a)
{
    kit_new(&q->k, a, N);
    q->heat = fd_heat(q->k.c, 1, .02, NULL, NULL, 2);
    fd_model *warm = fd_new(a, fd_model, 1);
    if (!warm) return;
    *warm = fd_oracle_gauss(a, &q->heat, NULL, q->k.c0);
    for (int i = 0; i < B * M; i++) q->many[i] = sin(i);
    q->m = q->pulled = (fd_model){ FD_X0, tired_eval, tired_vjp, tired_var, &q->k.m, NULL };
    q->pulled.pull = tired_pull;
    q->o = q->k.o, q->o.self = &q->k.o, q->o.apply = tired_apply;
    q->o.transpose = tired_transpose;
    q->bent = q->o, q->bent.linear = 0;
    q->few = q->o, q->few.self = &q->k.few, q->few.m = 2, q->few.sd = 0;
    q->hot = q->said = q->m;
    q->hot.self = warm, q->said.predicts = FD_NOISE;
    q->phi = (fd_potential){ tired_value, &q->k.phi };
    q->k.how.model = q->m;
}

static const double two_t[B] = { .6, .3 };

/* a network that answers with the first channel of what it sees */
static void first_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena a)
{
    (void)self, (void)t, (void)a;
    for (int i = 0; i < b; i++)
        memcpy(y + i * s->points, x + i * fd_size(s), (size_t)s->points * sizeof *y);
}

/* what asks a model for its derivative: that of half its square */
static void ask_itself(void *of, int first, int b, const fd_real *y, fd_real *dy, fd_arena a)
{
    (void)of, (void)first, (void)a;
    memcpy(dy, y, (size_t)b * N * sizeof *y);
}

/* a number that is returned: none where something failed */
static void number(double *e, double value, const fd_status *st)
{
    if (!st->code) e[0] = value;
    else OK(isnan(value), "a number after a failure: %g", value);
}

/* The calls: number i of them with a state x [B][N] and numbers e [B][M]; 0 where there is none. */
typedef int call(const tired *q, int i, fd_real *x, double *e, fd_arena a);

static int call_sampler(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    fd_sampler how = q->k.how;
    how.scheme = i, how.denoise = 1, how.corrector = i % 5, how.cprm = .01, how.band = 2;
    how.churn = i % 3 && i != FD_PF_MULTISTEP ? .1 : 0, how.before = i % 2;
    if (i == FD_VE_PREDICTOR || i == FD_VP_PREDICTOR) how.scheme = FD_DDIM;
    if (i == FD_ANNEALED) how.corrector = FD_CORRECT_SCALED;
    (void)e;
    if (i < FD_SCHEMES) fd_sample(&how, fd_seed(1), 0, B, x, a);
    return i < FD_SCHEMES;
}

static int call_density(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    fd_sampler how = q->k.how;
    double var[N] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    how.scheme = i < 2 ? FD_PF_RK4 : i < 4 ? FD_PF_ADAPTIVE : i < 7 ? FD_DDIM : FD_PF_MULTISTEP;
    if (i < 4) fd_loglik(&how, i % 2, fd_seed(1), 0, B, x, e, a);
    else if (i < 6) fd_elbo(&how, i % 2, fd_seed(1), 0, B, x, e, NULL, a);
    else fd_exact_law(&how, NULL, var, a);
    if (i > 5 && var[0] != 1) e[0] = var[0];
    return i < 8;
}

static int call_made(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_cov *c[1] = { k->c0 };
    const fd_precond *w = fd_precond_new(&a, &k->p, NULL, k->c0);
    const fd_model m = i == 0 ? fd_free_guided(&a, &k->p, q->m, q->m, 2)
        : i == 1 ? fd_ucos(&a, fd_gain_new(&a, &q->o, k->c, NULL), &k->p, k->y, q->m)
        : i < 4 ? fd_policy_model(&a, &k->p, q->m, q->m, 1)
        : i < 6 ? fd_precond_model(&a, w, q->m) : i == 6 ? fd_precond_model(&a, w, q->pulled)
        : fd_oracle_posterior(&a, &k->p, 1, NULL, NULL, c, &q->o, k->y);
    fd_real y[B * N] = { 7 };
    (void)e;
    if (!m.eval || i > 8) return i < 9;
    if (i == 3 || i == 5) m.vjp(m.self, &k->s, B, x, two_t, x, y, a);
    else if (i == 6) m.pull(m.self, &k->s, B, x, two_t, ask_itself, NULL, y, a);
    else if (i == 8) m.var(m.self, &k->s, B, x, two_t, y, a);
    else m.eval(m.self, &k->s, B, x, two_t, y, a);
    if (!a.st->code) memcpy(x, y, sizeof y);
    return 1;
}

static int call_guided(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const int warm = i >= 24 && i < 30, said = i >= 30;
    const fd_guide how = { warm ? &q->heat : &k->p,
                           warm ? q->hot : said ? q->said : i / 6 % 2 ? q->pulled : q->m,
                           i / 12 == 1 || i > 32 ? &q->bent : &q->o, k->y,
                           FD_GUIDE_EXACT + i % 3, .3, i / 3 % 2 };
    const fd_model m = fd_guided(&a, &how);
    fd_real y[B * N] = { 7 };
    (void)e;
    if (m.eval) m.eval(m.self, &k->s, B, x, two_t, y, a);
    if (!a.st->code) memcpy(x, y, sizeof y);
    return i < 36;
}

static int call_amortised(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_condition how = { .p = &k->p, .base = FD_BASE_NONE + i % 3, .predicts = FD_X0,
                               .sees = FD_SEES_POSTERIOR | FD_SEES_DENOISED | FD_SEES_SLOPE,
                               .model = q->m, .c0 = k->c0 };
    const fd_amortised *w = fd_amortised_new(&a, &how, &q->o);
    const fd_model net = { .predicts = FD_X0, .eval = first_eval };
    fd_real in[7 * B * N], y[B * N] = { 7 };
    double cin, cout;
    if (i < 3) {
        const fd_model m = fd_amortised_model(&a, w, k->y, net);
        if (m.eval) m.eval(m.self, &k->s, B, x, two_t, y, a);
    } else if (i < 6) fd_amortised_pair(w, B, q->many, x, NULL, x, two_t, in, y, NULL, a);
    else fd_amortised_scale(w, .5, &cin, &cout, a), y[0] = (fd_real)cout;
    if (!a.st->code) memcpy(x, y, sizeof y), e[0] = (double)y[0];
    return i < 9;
}

static int call_observed(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_rng r = fd_seed(3);
    const fd_linear l = { k->c, NULL, 1 };
    const fd_obs *o = &q->o;
    fd_real end[B * N] = { 7 };
    double y[B * M];
    switch (i) {
    case 0:
        fd_obs_draw(o, r, 0, B, x, y, a);
        if (!a.st->code) memcpy(e, y, sizeof y);
        break;
    case 1: fd_obs_adjoint(o, B, NULL, q->many, x, a); break;
    case 2: number(e, fd_obs_check(o, x, r, a), a.st); break;
    case 3: number(e, fd_obs_misfit(o, k->y, x, x, a), a.st); break;
    case 4: number(e, fd_score_power(&k->p, k->c0, o, .5, a), a.st); break;
    case 5: fd_esmda(o, k->y, 2, r, B, x, a); break;
    case 6: fd_project_flat(&q->few, B, q->many, x, a); break;
    case 7: case 8:
        fd_bridge_end(&l, .5, o, k->y, i == 7 ? &r : NULL, 0, B, x, end, a);
        if (!a.st->code) memcpy(x, end, sizeof end);
        break;
    case 9: number(e, fd_control_value(&l, 3, o, k->y, x, a), a.st); break;
    default: return 0;
    }
    return 1;
}

static int call_gain(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_rng r = fd_seed(3);
    const fd_obs *o = i == 5 || i == 6 ? &q->few : i == 1 ? &q->bent : &q->o;
    const fd_gain *g = fd_gain_new(&a, o, k->c, i == 1 ? x : NULL);
    const fd_posterior *p = i > 9 ? fd_posterior_new(&a, NULL, k->c0, o, k->y) : NULL;
    fd_real n[B * N] = { 7 };
    switch (i) {
    case 0: fd_gain_add(g, 1, B, q->many, x, a); break;
    case 1: fd_gain_add(g, 1, B, q->many, x, a); break;
    case 2: fd_gain_condition(g, 1, B, q->many, NULL, x, a); break;
    case 3: fd_project(g, B, q->many, x, e, a); break;
    case 4: fd_project_denoised(g, &k->p, .5, B, q->many, x, q->many, x, e, a); break;
    case 5: fd_project(g, B, q->many, x, NULL, a); break;
    case 6: fd_eci_step(&k->p, &q->m, g, q->many, .6, .5, B, x, NULL, a); break;
    case 7:
        fd_ucos_noise(g, &k->p, r, 0, B, two_t, n, a);
        if (!a.st->code) memcpy(x, n, sizeof n);
        break;
    case 8: fd_path_move(g, &k->p, FD_PATH_FRESH, .6, .5, B, q->many, q->many, e, a); break;
    case 9: {
        const double fall[3] = { fd_time_at(&k->p, 1), .2, .1 };
        fd_sampler how = k->how;
        how.t = fall, how.steps = 2;
        fd_split_gibbs(&how, g, k->y, 1, r, 0, B, x, a);
        break;
    }
    case 10: fd_posterior_draw(p, r, 0, B, x, a); break;
    case 11: fd_posterior_std(p, x, a); break;
    default: return 0;
    }
    return 1;
}

static int call_particles(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_guide g = { &k->p, q->m, &q->o, k->y, i % 4, .3, 0 };
    const fd_released old = { k->how, &q->o, k->y, FD_FUNDPS, 1 };
    fd_sampler how = k->how;
    (void)e;
    how.denoise = i > 3;
    fd_particles *p = i < 8 ? fd_particles_begin(&a, &how, &g, fd_seed(4), B) : NULL;
    while (fd_particles_step(p, a)) { }
    if (p && !a.st->code) memcpy(x, p->run->x, B * N * sizeof *x);
    if (i > 7) fd_released_step(&old, 0, B, x, a);
    return i < 9;
}

static int call_chain(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_mcmc mc = { .prior = k->c0, .phi = q->phi, .kind = FD_MCMC_PCN + i % 5, .h = .1,
                         .leaps = 3 };
    fd_chain *c = i < 5 ? fd_chain_begin(&a, &mc, fd_seed(5), 0, NULL)
                        : fd_chain_resume(&a, &mc, fd_seed(5), 0, x, 9, .1, 3, 12);
    const fd_chain was = c ? *c : (fd_chain){ .k = 0 };
    fd_real u[N] = { 0 };
    if (c) memcpy(u, c->u, sizeof u);
    fd_chain_step(c, a);
    if (c && a.st->code)
        OK(c->k == was.k && c->phi == was.phi && c->accepted == was.accepted
           && !memcmp(u, c->u, sizeof u), "a chain stays where it was, %d", i);
    else if (c) x[0] = c->u[0], e[0] = c->phi;
    return i < 10;
}

static int call_langevin(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    fd_sampler flow = k->how;
    flow.scheme = FD_DDIM;
    const fd_daps d = { flow, q->phi, 2, .01, i == 4 };
    const fd_potential late = fd_latent_potential(&a, &flow, &q->phi);
    const fd_levy levy = { FD_LEVY_BERNOULLI, 1, .3, 3, .5 };
    fd_real y[N];
    double w[N] = { .1, .1, .1, .1, .1, .1, .1 };
    switch (i) {
    case 0: fd_langevin(&k->p, &q->m, &q->phi, .5, .01, 1, B, x, NULL, a); break;
    case 1: fd_langevin_implicit(k->c0, NULL, &q->phi, .01, B, x, NULL, a); break;
    case 2: case 3:
        memcpy(y, x, sizeof y);
        fd_daps_step(k->c, &q->phi, 1, .01, i == 2, 1, y, x, NULL, a);
        break;
    case 4: case 5: fd_daps_level(&d, .4, fd_seed(1), 0, B, x, a); break;
    case 6: if (late.value) number(e, late.value(late.self, &k->s, x, NULL, a), a.st); break;
    case 7:
        fd_levy_sweep(&levy, &q->o, k->y, fd_seed(6), 0, w, y, a);
        if (!a.st->code) memcpy(x, y, sizeof y);
        break;
    default: return 0;
    }
    return 1;
}

static int call_interpolant(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const fd_interpolant p = { q->k.c, NULL, NULL, NULL, NULL, .5 };
    fd_model u = q->m, z = q->m;
    (void)e;
    u.predicts = FD_VELOCITY, z.predicts = FD_NOISE;
    if (i < 2) fd_interpolant_step(&p, &u, &z, i ? .1 : 0, .5, .6, B, x, NULL, a);
    return i < 2;
}

/* ---- what calls nothing of the user's: for memory that ends ---- */

static int call_process(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_process blurred = fd_blur(&k->p, .01, .1);
    const fd_interpolant p = { k->c, NULL, NULL, NULL, NULL, .5 };
    const fd_space *s = &k->s;
    const double t[B] = { .6, .3 }, r[B] = { .2, .1 };
    fd_real y[B * N] = { 7 };
    const fd_process *made = NULL;
    fd_process on;
    fd_sampler how = k->how;
    how.scheme = i == 9 ? FD_PF_ADAPTIVE : FD_ANCESTRAL, how.model = k->m;
    switch (i) {
    case 0: if (fd_fdp_noise(&a, s, 1, 0)) x[0] = 1; break;
    case 1: on = fd_process_on(&a, &blurred, s), made = &on; break;
    case 2: fd_average_velocity(&k->p, x, k->c0, B, t, r, x, x, a); break;
    case 3: fd_convert(&k->p, FD_SCORE_HALF, FD_NOISE, B, x, t, x, a); break;
    case 4: fd_convert(&q->heat, FD_X0, FD_SCORE_FULL, B, y, t, x, a); break;
    case 5: number(e, fd_gauss_logp(k->c, x, x, a) - (a.st->code ? NAN : 0), a.st); break;
    case 6: fd_loss_weigh(&k->p, FD_NORM_SOBOLEV, 1, FD_X0, B, t, x, a); break;
    case 7: if (fd_loss_norm(&a, &k->p, FD_NORM_SOBOLEV, 1, FD_X0, .3)) x[0] = 1; break;
    case 8: if (fd_time_law_new(&a, &k->p, k->c0, FD_NORM_H, 0, FD_X0)) x[0] = 1; break;
    case 9: case 10: fd_advance(&how, .6, .5, B, x, NULL, NULL, a); break;
    case 11: fd_interpolant_draw(&p, fd_seed(1), 0, B, x, x, t, y, NULL, a); break;
    case 12: {
        const fd_model m = fd_oracle_interpolant(&a, &p, FD_NOISE, NULL, k->c, NULL, k->c0);
        if (m.eval) m.eval(m.self, s, B, x, t, x, a);
        break;
    }
    default: return 0;
    }
    if (i == 11 && !a.st->code) memcpy(x, y, sizeof y);
    if (made && made->law) x[0] = 1;
    return 1;
}

static int call_seen(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const double mul[N] = { 1, .9, .8, .7, .6, .5, .4, .3 }, at[2] = { .3, .6 };
    const int half = N / 2;
    const fd_space few = fd_grid(&a, 1, &half, NULL, (int[]){ FD_NEUMANN }, 1);
    const int kind = i % 4, what = i / 4;
    fd_obs o = kind == 0 ? fd_obs_points(&a, &k->s, 2, at, NULL)
        : kind == 1 ? fd_obs_boxes(&a, &k->s, 2, at, (double[]){ .1, .1 }, NULL)
        : kind == 2 ? fd_obs_coarse(&a, &k->s, &few) : fd_obs_modal(&a, &k->s, mul);
    fd_obs_noise(&a, &o, .3);
    const fd_posterior *p = what < 2 ? NULL : fd_posterior_new(&a, NULL, k->c0, &o, k->y);
    double y[B * M];
    fd_real g[B * N];
    if (what == 0) {
        fd_obs_draw(&o, fd_seed(1), 0, B, x, y, a);
        if (!a.st->code) e[0] = y[0];
    }
    if (what == 1) {
        fd_obs_adjoint(&o, B, NULL, q->many, g, a);
        if (!a.st->code) memcpy(x, g, sizeof g);
    }
    if (what == 2) fd_posterior_draw(p, fd_seed(1), 0, B, x, a);
    if (what == 3) fd_posterior_std(p, x, a);
    if (what == 4) {
        const fd_potential phi = fd_obs_potential(&a, &o, k->y);
        if (phi.value) number(e, phi.value(phi.self, &k->s, x, x, a), a.st);
    }
    if (what == 5)
        fd_path_move(p ? p->gain : NULL, &k->p, FD_PATH_FRESH, .6, .5, 1, k->y, q->many, e, a);
    return what < 6;
}

static int call_bridge(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_linear l = fd_linear_heat(&a, k->c, .1, 1, 1);
    const fd_cov *c[2] = { k->c0, k->c0 };
    const fd_mix law = { 2, NULL, x, c };
    const fd_rng r = fd_seed(5);
    fd_real y[3 * B * N] = { 7 };
    double upper;
    if (!l.noise) return i < 11;
    switch (i) {
    case 0: fd_linear_step(&l, .2, .5, B, x, x, a); break;
    case 1: fd_bridge_step(&l, .2, .5, B, x, x, x, a); break;
    case 2: fd_bridge_draw(&l, B, two_t, x, x, x, x, a); break;
    case 3: fd_bridge_drift(&l, .5, B, x, x, x, a); break;
    case 4: fd_bridge_path(&l, 2, r, 0, B, x, x, y, a); break;
    case 5: number(e, fd_bridge_cost(&l, x, x + N, &upper, a), a.st); break;
    case 6: fd_bridge_end_mix(&l, .5, x, &law, &r, 0, B, x, y, a); break;
    case 7: fd_girsanov(k->c, .1, B, x, x, e, a); break;
    case 8: fd_policy_ratio(k->c, 1, B, x, y, x, e, NULL, a); break;
    case 9: fd_policy_pull(k->c, 1, .5, B, x, x, y, a); break;
    case 10: if (fd_linear_dbfs(&a, &k->s, 1, 1).noise) x[0] = 1; break;
    default: return 0;
    }
    if (!a.st->code && (i == 4 || i == 6 || i == 9)) memcpy(x, y, B * N * sizeof *x), x[0] += 1;
    return 1;
}

/* what is made of things that stand already, so that little memory is enough for those */
typedef struct {
    fd_obs modal, two;                               /* two: of two channels */
    fd_gain *g, *wide;
    fd_posterior *post, *blurred, *pair;
    fd_amortised *w;
    fd_model cond, ucos, warm, net;
} standing;

static standing standing_new(const tired *q, fd_arena *a)
{
    static double mul[N] = { 1, .9, .8, .7, .6, .5, .4, .3 };
    const kit *k = &q->k;
    const fd_cov *c[1] = { k->c0 };
    standing r = { .modal = fd_obs_modal(a, &k->s, mul), .net = { FD_X0, first_eval, NULL, NULL,
                                                                  NULL, NULL } };
    fd_obs *o = fd_new(a, fd_obs, 1);
    if (!o) return r;
    fd_obs_noise(a, &r.modal, .3);
    *o = r.modal;
    const fd_condition sees = { .p = &k->p, .base = FD_BASE_GAUSS, .c0 = k->c0, .predicts = FD_X0,
                                .sees = FD_SEES_POSTERIOR | FD_SEES_DENOISED | FD_SEES_SLOPE };
    r.g = fd_gain_new(a, &k->o, k->c, NULL), r.wide = fd_gain_new(a, o, k->c, NULL);
    r.post = fd_posterior_new(a, NULL, k->c0, &k->o, k->y);
    r.blurred = fd_posterior_new(a, NULL, k->c0, o, k->y);
    r.w = fd_amortised_new(a, &sees, &k->o);
    const int n = N;
    static const double at[2] = { .3, .6 };
    const fd_space both = fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 2);
    fd_obs *wide = fd_new(a, fd_obs, 1);
    if (!wide) return r;
    r.two = fd_obs_points(a, &both, 2, at, NULL), *wide = fd_obs_modal(a, &both, mul);
    fd_obs_noise(a, wide, .3);
    r.pair = fd_posterior_new(a, NULL, fd_cov_exp(a, &both, 1, .3), wide, q->many);
    r.cond = fd_oracle_posterior(a, &k->p, 1, NULL, NULL, c, &k->o, k->y);
    r.ucos = fd_ucos(a, r.g, &k->p, k->y, k->m);
    const fd_model m = fd_oracle_gauss(a, &q->heat, NULL, k->c0);
    r.warm = fd_guided(a, &(fd_guide){ &q->heat, m, &k->o, k->y, FD_GUIDE_PIGDM, .3, 0 });
    return r;
}

/* fd_obs_boxes on a plane, and models: x is written where they succeed */
static int call_make(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_cov *c[1] = { k->c };
    static const double at[4] = { .3, .6, .2, .8 };
    fd_space plane = fd_grid(&a, 2, (int[]){ 4, 4 }, NULL, NULL, 1);
    int made = 0;
    (void)e;
    if (i == 0) made = fd_obs_boxes(&a, &plane, 2, at, at, NULL).m;
    if (i == 1) made = fd_oracle_posterior(&a, &k->p, 1, NULL, NULL, c, &k->o, k->y).eval != NULL;
    if (i == 2) made = fd_obs_potential(&a, &k->o, k->y).value != NULL;
    if (i == 3) made = fd_ucos(&a, k->g, &k->p, k->y, k->m).eval != NULL;
    if (made) x[0] += 1;
    return i < 4;
}

static standing stands;

static int call_standing(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    const kit *k = &q->k;
    const fd_model none = { .eval = NULL }, *m = &none;
    fd_real y[7 * B * N] = { 7 }, z[B * N];
    double cin, cout;
    fd_model net;
    memcpy(y, x, B * N * sizeof *x);
    switch (i) {
    case 0: fd_posterior_draw(stands.post, fd_seed(1), 0, B, x, a); break;
    case 1: fd_posterior_draw(stands.blurred, fd_seed(1), 0, B, x, a); break;
    case 2: fd_posterior_std(stands.post, x, a); break;
    case 3: fd_posterior_std(stands.blurred, x, a); break;
    case 4: fd_project(stands.g, B, q->many, x, e, a); break;
    case 5: fd_path_move(stands.wide, &k->p, FD_PATH_FRESH, 1, .5, 1, k->y, q->many, e, a); break;
    case 6: fd_ucos_noise(stands.g, &k->p, fd_seed(1), 0, B, two_t, y, a); break;
    case 7: fd_amortised_scale(stands.w, .5, &cin, &cout, a), y[0] = (fd_real)cout; break;
    case 8: fd_amortised_pair(stands.w, B, q->many, x, NULL, x, two_t, y, z, NULL, a); break;
    case 9:
        net = fd_amortised_model(&a, stands.w, k->y, stands.net), m = &net;
        break;
    case 10: m = &stands.cond; break;
    case 11: m = &stands.ucos; break;
    case 12: m = &stands.warm; break;
    case 14: fd_obs_adjoint(&stands.two, 1, NULL, q->many, y, a); break;
    case 15: fd_posterior_std(stands.pair, y, a); break;
    case 13: stands.cond.var(stands.cond.self, &k->s, B, x, two_t, y, a); break;
    default: return 0;
    }
    if (m->eval) m->eval(m->self, &k->s, B, x, two_t, y, a);
    if (!a.st->code) memcpy(x, y, i > 5 ? B * N * sizeof *x : 0);
    return 1;
}

/* an affine step that may fail, and a series */
static void half_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    (void)self;
    for (int i = 0; i < 2 * b && !tick(a.st); i++) x[i] = .5 * x[i] + z[i];
}

static int call_numbers(const tired *q, int i, fd_real *x, double *e, fd_arena a)
{
    double mean[2] = { 1, 1 }, cov[4] = { 1, 0, 0, 1 };
    (void)x;
    if (i == 0) number(e, fd_affine_law(half_step, NULL, 2, 2, mean, cov, a) + 1, a.st);
    if (i == 1) number(e, fd_iact(B * M, q->many, a), a.st);
    if (i == 2) number(e, fd_rhat(B, M, q->many, a), a.st);
    if (i == 3) number(e, fd_ess(B, M, q->many, a), a.st);
    return i < 4;
}

/* mine: it calls what is the user's */
typedef struct { const char *name; call *run; int mine; } call_row;
static const call_row rows[] = {
    { "samplers", call_sampler, 1 }, { "densities", call_density, 1 }, { "models", call_made, 1 },
    { "guided", call_guided, 1 }, { "amortised", call_amortised, 1 },
    { "observed", call_observed, 1 }, { "gains", call_gain, 1 },
    { "particles", call_particles, 1 },
    { "chains", call_chain, 1 }, { "Langevin", call_langevin, 1 },
    { "interpolants", call_interpolant, 1 }, { "processes", call_process, 0 },
    { "seen", call_seen, 0 }, { "bridges", call_bridge, 0 }, { "numbers", call_numbers, 0 },
    { "making", call_make, 0 }, { "standing", call_standing, 0 } };
enum { ROWS = sizeof rows / sizeof *rows, MANY = 1 << 20 };

/* Each call of what is the user's fails in turn: that failure, and no other, is what is recorded,
 * nothing of the user's is called any more, and state and numbers are as they were. */
static void one_fails(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    tired q;
    tired_new(&q, &a);
    stands = standing_new(&q, &a);
    fd_real was[B * N], x[B * N];
    double e[B * M] = { .1, .2, .3, .4 }, kept[B * M];
    fd_cov_draw(q.k.c0, fd_seed(2), 0, B, was, a);
    memcpy(kept, e, sizeof e);
    for (const call_row *r = rows; r < rows + ROWS; r++)
        for (int i = 0, more = 1; more; i++) {
            int calls = 0;
            for (int k = 0; k <= calls && more; k++) {
                memcpy(x, was, sizeof x), memcpy(e, kept, sizeof e);
                left = k ? k : MANY, later = 0;
                more = r->run(&q, i, x, e, a);
                const int same = !memcmp(x, was, sizeof x) && !memcmp(e, kept, sizeof e);
                if (k == 0) {
                    calls = MANY - left;
                    OK(!more || (!st.code && (calls > 0 || !r->mine) && !same), "%s %d: %s",
                       r->name, i, explain(&st));
                } else OK(st.code == FD_EIO && !strcmp(st.where, "mine") && !later && same,
                          "%s %d, call %d of %d: %s, %d later", r->name, i, k, calls, explain(&st),
                          later);
                st.code = FD_OK;
            }
        }
    test_free();
}

/* The same where memory ends: an arena as large as was too small for one piece more, and so on. */
static void memory_ends(void)
{
    enum { SIZE = 1 << 22 };
    fd_status st, own;
    fd_arena a = test_arena(1 << 21, &st);
    tired q;
    tired_new(&q, &a);
    stands = standing_new(&q, &a);
    char *mem = test_arena(SIZE, &own).beg;                        /* a multiple of 64 */
    fd_real was[B * N], x[B * N];
    double e[B * M] = { .1, .2, .3, .4 }, kept[B * M];
    fd_cov_draw(q.k.c0, fd_seed(2), 0, B, was, a);
    memcpy(kept, e, sizeof e);
    int all = 0;
    left = MANY;
    for (const call_row *r = rows; r < rows + ROWS; r++)
        for (int i = 0, more = 1; more; i++) {
            size_t size = 0;
            int pieces = 0;
            for (;; pieces++) {
                memcpy(x, was, sizeof x), memcpy(e, kept, sizeof e);
                more = r->run(&q, i, x, e, fd_arena_over(mem, size, &own));
                if (!own.code || !more) break;
                OK(own.code == FD_ENOMEM && !memcmp(x, was, sizeof x)
                   && !memcmp(e, kept, sizeof e), "%s %d, piece %d: %s", r->name, i, pieces,
                   explain(&own));
                if (own.code != FD_ENOMEM || size > SIZE / 2) break;
                const size_t free = (size_t)own.v[2], pad = (free - size) & 63;
                size += pad + 2 * FD_REDZONE + (size_t)(own.v[0] * own.v[1]) - free;
            }
            OK(!more || !own.code, "%s %d, %d pieces", r->name, i, pieces);
            all += pieces;
        }
    OK(all > 3000, "%d pieces", all);
    test_free();
}

void test_failures(void)
{
    no_process();
    other_points();
    missing();
    one_fails();
    memory_ends();
}
