/* test_sde.c -- processes, models, training pairs and samplers against their definitions and
 * against closed forms: with Gaussian data every scheme is an affine map, which is probed and
 * iterated. */
#include "test.h"
#ifdef _OPENMP
#include <omp.h>
#endif

#define PI 3.14159265358979323846
enum { MAXB = 2048 };

/* ---- helpers ---- */

static double maxd(double x, double y) { return x > y ? x : y; }

/* a space with a single mode, whose coefficient is the value of the function */
static fd_cov *one_mode(fd_arena *a, double lam)
{
    fd_space s = fd_grid(a, 1, (int[]){ 1 }, NULL, NULL, 1);
    return fd_cov_table(a, &s, &lam);
}

static fd_cov *one_on(fd_arena *a, const fd_cov *like,
                      double c) { return fd_cov_table(a, &like->s, &c); }

/* dX = -(c + mu) X dt + sqrt(q lam) dW: the stochastic heat equation, a law of the user's own */
static fd_coef heat_law(const fd_process *p, double t, double mu)
{
    double r = p->prm[0] + mu, m = exp(-r * t);
    return (fd_coef){ m, p->prm[1] * -expm1(-2 * r * t) / (2 * r), -r * m, p->prm[1] * m * m };
}

static fd_process heat(const fd_cov *noise)
{
    return (fd_process){ .noise = noise, .tmin = 1e-4, .tmax = .01, .prm = { 1.7, 60 }, .modal = 1,
                         .law = heat_law };
}

enum { PROCS = 9 };
static const char *const proc_name[PROCS] = { "ou", "vp", "cosine", "subvp", "ve", "driftless",
                                              "flow",
                                              "ddpm", "heat" };
static void processes(fd_arena *a, const fd_cov *noise, fd_process p[PROCS])
{
    p[0] = fd_ou(noise, 3.2);
    p[1] = fd_vp(noise, .1, 20);
    p[2] = fd_vp_cosine(noise);
    p[3] = fd_subvp(noise, .1, 20);
    p[4] = fd_ve(noise, .01, 50);
    p[5] = fd_driftless(noise, 10);
    p[6] = fd_flow(noise, 1e-4);
    p[7] = ddpm(a, noise, 1000, 1e-4, .02);
    p[8] = heat(noise);
}

/* ---- processes ---- */

/* Numbers that are known. At small t, v = int beta to rounding, not 1 - m^2. */
static void check_law_values(const fd_process *p)
{
    NEAR(fd_law(&p[0], 1e-9, 0).v, 1e-9 - .5e-18, 1e-24, "ou v(1e-9)");
    NEAR(fd_law(&p[2], 1e-9, 0).v, PI / 1.008 * tan(.008 / 1.008 * PI / 2) * 1e-9, 1e-16,
         "cosine v(1e-9)");
    static const struct { int i; double t, m, v; } at[] = {
        { 0, 2.385, .303461660806, .907911020421 }, { 1, 1, .006571586494929619, .9999568142509 },
        { 2, .9946, .0084145, .99992920 }, { 3, 1, .006571586494929619, .9999136303668 },
        { 4, 1, 1, 2500 }, { 4, .5, 1, .5 }, { 5, 2.385, 1, 2.385 }, { 6, 1, 0, 1 },
        { 7, 1000, .00635281, .9999596424 },
    };
    for (size_t j = 0; j < sizeof at / sizeof *at; j++) {
        fd_coef c = fd_law(&p[at[j].i], at[j].t, 0);
        double tol = at[j].i == 2 || at[j].i == 7 ? 2e-5 : 2e-10;
        NEAR(c.m, at[j].m, tol, "%s m(%g)", proc_name[at[j].i], at[j].t);
        NEAR(c.v, at[j].v, tol * maxd(1, at[j].v), "%s v(%g)", proc_name[at[j].i], at[j].t);
    }
    NEAR(fd_law(&p[6], .25, 0).v, pow(.25 + 1e-4 * .75, 2), 1e-16, "flow v");
    NEAR(pow(fd_law(&p[7], 1000, 0).m, 2), 4.0358e-5, 5e-10, "gamma_T of DDPM");
    double gamma = 1;
    for (int t = 1; t <= 17; t++) gamma *= 1 - (1e-4 + (.02 - 1e-4) * (t - 1) / 999);
    NEAR(pow(fd_law(&p[7], 17, 0).m, 2), gamma, 1e-14, "gamma_17");
    NEAR(fd_law(&p[7], 1200, 0).m, fd_law(&p[7], 1000, 0).m, 0, "DDPM past its end");
}

static void check_laws(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *noise = one_mode(&a, .7);
    fd_process p[PROCS];
    processes(&a, noise, p);
    for (int i = 0; i < PROCS; i++)
        for (int j = 1; j < 12; j++) {
            double t = p[i].tmin + (p[i].tmax - p[i].tmin) * (j - .37) / 11.3, d = 1e-5 * p[i].tmax;
            fd_coef c = fd_law(&p[i], t, 0), l = fd_law(&p[i], t - d, 0),
                r = fd_law(&p[i], t + d, 0);
            if (i == 7 && floor(t - d) != floor(t + d)) continue;
            double dm = (r.m - l.m) / (2 * d), dv = (r.v - l.v) / (2 * d),
                q = c.dv - 2 * c.dm * c.v / c.m;
            NEAR(c.dm, dm, 1e-8 * (c.m + fabs(dm)) / p[i].tmax + 1e-8 * fabs(dm), "%s m'(%g)",
                 proc_name[i], t);
            NEAR(c.dv, dv, 1e-7 * (c.v + fabs(dv)) + 1e-7 * fabs(c.v) / p[i].tmax, "%s v'(%g)",
                 proc_name[i], t);
            OK(q >= 0 && c.v > 0 && c.m > 0, "%s q(%g) = %g", proc_name[i], t, q);
        }
    for (int i = 0; i < PROCS; i++) {                       /* data at 0 */
        fd_coef c = fd_law(&p[i], 0, 0);
        double v0 = i == 4 ? 1e-4 : i == 6 ? 1e-8 : 0;
        NEAR(c.m, 1, 1e-15, "%s m(0)", proc_name[i]);
        NEAR(c.v, v0, 1e-15, "%s v(0)", proc_name[i]);
    }
    check_law_values(p);
    {                                                       /* sub-VP: q = beta (1 - exp(-2B)) */
        fd_coef c = fd_law(&p[3], .3, 0);
        double B = .1 * .3 + 19.9 * .045, beta = .1 + 19.9 * .3;
        NEAR(c.dv - 2 * c.dm * c.v / c.m, beta * (1 - exp(-2 * B)), 1e-12, "sub-VP q");
    }
    {                                                       /* q m^2/v^2 = -(m^2/v)' */
        fd_coef c = fd_law(&p[2], .4, 0), l = fd_law(&p[2], .4 - 1e-5, 0),
            r = fd_law(&p[2], .4 + 1e-5, 0);
        double q = c.dv - 2 * c.dm * c.v / c.m;
        NEAR(q * c.m * c.m / (c.v * c.v), (l.m * l.m / l.v - r.m * r.m / r.v) / 2e-5, 1e-6,
             "SNR identity");
    }
    OK(!st.code, "status");
    fd_process bad = fd_ddpm_betas(&a, noise, 0, (double[]){ .1 });
    OK(st.code == FD_EARG && !bad.noise, "ddpm with T = 0");
    char text[200];
    fd_explain(&st, text, sizeof text);
    OK(!strcmp(text, "fd_ddpm_betas: needs T >= 1; T: 0"), "explained as '%s'",
       text);
    fd_arena b = test_arena(200, &st);
    bad = ddpm(&b, noise, 1000, 1e-4, .02);
    OK(st.code == FD_ENOMEM && !bad.noise, "ddpm without memory");
    fd_process ok = fd_ou(NULL, 2);                         /* of a failed covariance */
    NEAR(fd_law(&ok, 1, 3).m, exp(-.5), 1e-15, "law without noise");
}

/* mu by mode of fd_law and fd_step_row against fd_laplace */
static void check_modal(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    static const int bc[3][3] = { { FD_PERIODIC, FD_NEUMANN, FD_DIRICHLET },
                                  { FD_MIXED, FD_PERIODIC, FD_NEUMANN }, { 0, 0, FD_MIXED } };
    for (int i = 0; i < 3; i++) {
        fd_space s = fd_grid(&a, 3, (int[]){ 3, 4, 5 }, (double[]){ 1, 2.385, .7 }, bc[i], 2);
        fd_cov *c = fd_cov_matern(&a, &s, 1.1, .3, 1.5);
        double *mu = fd_new(&a, double, s.modes), worst = 0;
        fd_laplace(&s, mu, a);
        fd_process p = heat(c);
        for (ptrdiff_t k = 0; k < s.modes; k++) {
            fd_coef got = fd_law(&p, 1e-3, k), want = heat_law(&p, 1e-3, mu[k]);
            fd_coef ls = heat_law(&p, 4e-4, mu[k]);
            double kap = want.m / ls.m;
            fd_row r = fd_step_row(&p, FD_ANCESTRAL, 0, 1e-3, 4e-4, k, &st);
            worst = maxd(worst, fabs(got.m - want.m) + fabs(got.v - want.v));
            worst = maxd(worst, fabs(r.ax - kap * ls.v / want.v));
        }
        NEAR(worst, 0, 1e-12, "mu of the modes, boundaries %d", i);
    }
    OK(!st.code, "status");
}

/* Times that cannot be. */
static void check_times_wrong(const fd_cov *noise, fd_arena a)
{
    double t[41];
    fd_process zero = fd_flow(noise, 0), ou = fd_ou(noise, 2), up = fd_ou(noise, 2), none = { 0 };
    fd_process ended = fd_flow(noise, 0);
    ou.tmin = 0, up.tmin = 2, ended.tmin = 1, ended.tmax = 1.5;
    typedef struct { const fd_process *p; int rule; double prm; int steps; const char *want; } bad;
    const bad row[] = {
        { &ou, FD_GEOMETRIC, 0, 5, "fd_times: equal ratios of t need tmin > 0" },
        { &zero, FD_GEOMETRIC, 0, 5, "fd_times: equal ratios of t need tmin > 0" },
        { &ou, FD_LOGSNR, 0, 5, "fd_times: equal steps of log(m^2/v) need v > 0 at tmin" },
        { &zero, FD_LOGSNR, 0, 1, "fd_times: equal steps of log(m^2/v) need v > 0 at tmin" },
        { &ended, FD_RHO, 0, 5, "fd_times: the rule needs m > 0 at tmin" },
        { &ou, FD_RHO, -1, 5, "fd_times: rho must be above 0" },
        { &ou, FD_RHO, NAN, 5, "fd_times: rho must be above 0" },
        { &ou, FD_RHO, INFINITY, 5, "fd_times: rho must be above 0" },
        { &up, FD_UNIFORM, 0, 5, "fd_times: needs 0 <= tmin < tmax" },
        { &ou, FD_UNIFORM, 0, 0, "fd_times: no such rule, or no steps: 0, 0" },
        { &ou, FD_LOGSNR + 1, 0, 5, "fd_times: no such rule, or no steps: 4, 5" },
        { &none, FD_UNIFORM, 0, 5, "fd_times: the process is empty" } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[200];
        a.st->code = 0, t[0] = t[row[i].steps] = -7;
        fd_times(row[i].p, row[i].rule, row[i].prm, row[i].steps, t, a.st);
        fd_explain(a.st, text, sizeof text);
        OK(a.st->code == FD_EARG && !strcmp(text, row[i].want), "row %d: explained as '%s'", (int)i,
           text);
        OK(t[0] == -7 && t[row[i].steps] == -7, "row %d: t untouched", (int)i);
    }
}

static void check_times(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *noise = one_mode(&a, .7);
    fd_process p[PROCS];
    double t[41], u[41];
    processes(&a, noise, p);
    for (int i = 0; i < PROCS; i++)
        for (int rule = FD_UNIFORM; rule <= FD_LOGSNR; rule++) {
            fd_process w = p[i];
            double bad = 0;
            int from = 0;
            if (rule && w.tmin == 0) w.tmin = i == 7 ? 1 : 1e-3;
            fd_times(&w, rule, 0, 40, t, &st);
            OK(t[0] == w.tmax && t[40] == w.tmin, "%s rule %d ends", proc_name[i], rule);
            for (int k = 0; k < 40; k++) bad += !(t[k] > t[k + 1]);
            OK(bad == 0, "%s rule %d falls", proc_name[i], rule);
            for (int k = 0; k <= 40; k++) {                 /* equal steps of f(t) */
                fd_coef c = fd_law(&w, t[k], 0);
                double ls = .5 * log(c.v) - log(c.m);
                u[k] = rule == FD_UNIFORM ? t[k] : rule == FD_GEOMETRIC ? log(t[k])
                     : rule == FD_RHO ? exp(ls / 7) : ls;
            }
            if (i == 6 && rule >= FD_RHO) {
                from = 1;
                NEAR(sqrt(fd_law(&w, t[1], 0).v) / fd_law(&w, t[1], 0).m, 1e4, 1e-6,
                     "flow: first sigma");
            }
            bad = 0;
            for (int k = from; k < 40; k++)
                bad = maxd(bad, fabs((u[k] - u[k + 1]) / (u[from] - u[40]) * (40 - from) - 1));
            NEAR(bad, 0, 1e-7, "%s rule %d: equal steps", proc_name[i], rule);
        }
    fd_times(&p[7], FD_UNIFORM, 0, 40, t, &st);
    OK(t[13] == 1000 - 13 * 25, "a chain keeps whole times");
    fd_process ve = fd_ve(noise, .002, 80);
    /* the grid of [EDM], sigma = .002..80 */
    fd_times(&ve, FD_RHO, 7, 18, t, &st);
    for (int k = 0; k <= 18; k++) {
        double s = pow(pow(80, 1 / 7.) + k / 18. * (pow(.002, 1 / 7.) - pow(80, 1 / 7.)), 7);
        NEAR(sqrt(fd_law(&ve, t[k], 0).v), s, 1e-9 * s, "EDM grid, step %d", k);
    }
    fd_process fl = fd_flow(noise, 0);
    fd_times(&fl, FD_RHO, 0, 1, t, &st);
    OK(t[0] == 1 && t[1] == 0, "one step");
    /* the two that may end at v = 0 */
    for (int rule = FD_RHO; rule >= FD_UNIFORM; rule -= FD_RHO) {
        double bad = 0;
        fd_times(&fl, rule, 0, 40, t, &st);
        for (int k = 0; k < 40; k++) bad += !(t[k] > t[k + 1]);
        OK(bad == 0 && t[40] == 0, "rule %d falls to v = 0", rule);
    }
    OK(!st.code, "status");
    check_times_wrong(noise, a);
}

/* Process i, which is empty, in every function. */
static void check_empty(int i, const fd_process *q, const fd_cov *noise, fd_real *y, fd_arena a)
{
    double t[4] = { .9, .5, .3, .1 }, out[8], w[8];
    fd_real x[4] = { 1, 2, 3, 4 };
    fd_model m = { FD_X0, NULL, NULL, NULL, NULL, NULL };
    fd_sampler how = { .p = q, .model = m, .t = t, .steps = 3 };
    char text[200];
    int f = 0;
    OK(q->why && !q->law && !q->noise && strlen(q->why) < 96,
       "process %d is empty, and says why", i);
    OK(fd_law(q, .5, 0).m == 0 && fd_law(q, .5, 3).v == 0, "no law");
    for (; f < 22; f++) {
        fd_arena mem = a;
        a.st->code = 0;
        switch (f) {
        case 0: fd_times(q, FD_UNIFORM, 0, 3, out, a.st); break;
        case 1: fd_draw_times(q, FD_T_LEVELS, NULL, fd_seed(1), 0, 3, out, a.st); break;
        case 2: fd_terminal(q, NULL, noise, mem); break;
        case 3: fd_oracle_gauss(&mem, q, NULL, noise); break;
        case 4: fd_oracle_data(&mem, q, 1, x); break;
        case 5: fd_oracle_kernel(&mem, q, NULL, noise); break;
        case 6: fd_predict(&m, FD_V, q, 1, x, t, y, mem); break;
        case 7: fd_convert(q, FD_X0, FD_V, 1, x, t, y, mem); break;
        case 8: fd_precond_new(&mem, q, NULL, noise); break;
        case 9: fd_perturb(q, fd_seed(1), 0, 1, x, t, y, NULL, mem); break;
        case 10: fd_target(q, FD_V, 1, x, x, t, y, mem); break;
        case 11: fd_time_weight(q, FD_W_ONE, FD_X0, .5, a.st); break;
        case 12: fd_loss_weigh(q, FD_NORM_H, 0, FD_X0, 1, t, y, mem); break;
        case 13: fd_loss_norm(&mem, q, FD_NORM_H, 0, FD_X0, .5); break;
        case 14: fd_time_law_new(&mem, q, noise, FD_NORM_H, 0, FD_X0); break;
        case 15: fd_step_row(q, FD_DDIM, 0, .5, .4, 0, a.st); break;
        case 16: fd_sample(&how, fd_seed(1), 0, 1, y, mem); break;
        case 17: fd_advance(&how, .5, .4, 1, y, NULL, NULL, mem); break;
        case 18: fd_correct(&how, .5, 1, y, NULL, NULL, mem); break;
        case 19: fd_loglik(&how, 0, fd_seed(1), 0, 1, x, w, mem); break;
        case 20: fd_elbo(&how, 0, fd_seed(1), 0, 1, x, w, NULL, mem); break;
        default: fd_process_on(&mem, q, &noise->s); break;
        }
        fd_explain(a.st, text, sizeof text);
        OK(a.st->code == FD_EARG && !strcmp(a.st->what, "the process could not be made")
           && !strcmp(a.st->name, q->why), "process %d, function %d: '%s'", i, f, text);
    }
    a.st->code = 0;
    fd_fdp_sampler(q, m, 5, 1, .1, 0, out, a.st);
    OK(a.st->code == FD_EARG, "process %d: fd_fdp_sampler", i);
}

/* What has a status says it there. */
static void check_arguments(const fd_cov *noise, fd_arena a)
{
    double t[4] = { .9, .5, .3, .1 }, out[8];
    fd_process heats = heat(noise);
    static const double nan = NAN;
    for (int i = 0; i < 13; i++) {
        fd_real z = 1;
        a.st->code = 0;
        switch (i) {
        case 0: fd_fdp(&a, noise, NAN, 5, NULL); break;
        case 1: fd_fdp(&a, noise, .1, INFINITY, NULL); break;
        case 2: fd_fdp(&a, noise, 0, 0, NULL); break;
        case 3: fd_fdp(&a, noise, .1, 5, &nan); break;
        case 4: fd_fdp_noise(&a, &noise->s, INFINITY, 0); break;
        case 5: fd_ddpm_betas(&a, noise, 3, NULL); break;
        case 6: fd_ddpm_betas(&a, noise, 1, &nan); break;
        case 7: fd_ddpm_gammas(&a, noise, 1, &nan); break;
        case 8: fd_beta_schedule(FD_BETA_COSINE + 1, 3, .1, .2, out, a.st); break;
        case 9: fd_beta_schedule(FD_BETA_LINEAR, 3, -.1, .2, out, a.st); break;
        case 10: fd_beta_schedule(FD_BETA_SIGMOID, 3, .1, NAN, out, a.st); break;
        case 11: fd_step_row(&heats, FD_DDIM, 0, .005, .001, 1, a.st); break;
        default: fd_interpolant_draw(&(fd_interpolant){ NULL, NULL, NULL, NULL, NULL, 0 },
                                     fd_seed(1), 0, 1, &z, &z, t, &z, NULL, a);
        }
        OK(a.st->code == FD_EARG, "argument %d is refused: code %d", i, a.st->code);
    }
}

/* A bad argument of a constructor: an empty process that every function takes, and that says why */
static void check_refused(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *noise = one_mode(&a, .7);
    fd_process heats = heat(noise), none = fd_ou(noise, -1), good = fd_vp(noise, .1, 20);
    const double bad[] = { NAN, INFINITY, -INFINITY, -1 };
    enum { MOST = 120 };
    fd_process p[MOST];
    int n = 0;
    for (int i = 0; i < 4; i++) {
        double x = bad[i];
        p[n++] = fd_ou(noise, x), p[n++] = fd_driftless(noise, x), p[n++] = fd_flow_vp(noise, x);
        p[n++] = fd_vp(noise, x, 20), p[n++] = fd_vp(noise, .1, x);
        p[n++] = fd_subvp(noise, x, 20), p[n++] = fd_subvp(noise, .1, x);
        p[n++] = fd_ve(noise, x, 50), p[n++] = fd_ve(noise, .01, x), p[n++] = fd_flow(noise, x);
        p[n++] = fd_ladder(noise, x, 30, 10), p[n++] = fd_ladder(noise, .01, x, 10);
        p[n++] = fd_heat(noise, x, 1, NULL, NULL, 1), p[n++] = fd_heat(noise, 1, x, NULL, NULL, 1);
        p[n++] = fd_heat(noise, 1, 1, NULL, NULL, x);
        p[n++] = fd_heat_cosine(noise, x, 1), p[n++] = fd_heat_cosine(noise, 1, x);
        p[n++] = fd_blur(&good, x, .1), p[n++] = fd_blur(&good, 0, x);
    }
    p[n++] = fd_ou(noise, 0), p[n++] = fd_vp(noise, 0, 0), p[n++] = fd_subvp(noise, 0, 0);
    p[n++] = fd_ve(noise, 2, 2), p[n++] = fd_driftless(noise, 0), p[n++] = fd_flow(noise, 1);
    p[n++] = fd_ladder(noise, 1, 1, 10), p[n++] = fd_ladder(noise, .1, 1, 1);
    p[n++] = fd_heat(noise, 1, 1, NULL, NULL, 0), p[n++] = fd_blur(&good, .2, .1);
    p[n++] = fd_blur(&none, 0, .1), p[n++] = fd_blur(&heats, 0, .1), p[n++] = fd_blur(NULL, 0, .1);
    p[n++] = fd_path(noise, NULL, NULL, NULL, NULL);
    OK(n <= MOST && !st.code, "constructors record nothing");
    fd_real y[4] = { 5, 5, 5, 5 };
    for (int i = 0; i < n; i++) check_empty(i, &p[i], noise, y, a);
    OK(y[0] == 5, "outputs untouched");
    char text[200];
    double out[4];
    st.code = 0;
    fd_times(&none, FD_UNIFORM, 0, 3, out, &st);
    fd_explain(&st, text, sizeof text);
    OK(!strcmp(text, "fd_times: the process could not be made: fd_ou: tmax must be above 0"),
       "explained as '%s'", text);
    check_arguments(noise, a);
}

/* Training times that do not exist are refused, whatever the process. */
static void check_times_refused(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *noise = one_mode(&a, .7);
    fd_process ou = fd_ou(noise, 2), ve = fd_ve(noise, .1, 2), lad = fd_ladder(noise, .1, 2, 5);
    fd_process shortest = fd_ladder(noise, .1, 2, 5);
    shortest.tmin = 0, shortest.tmax = .5;
    const struct { const fd_process *p; int rule; double prm[2]; const char *want; } row[] = {
        { &ve, FD_T_LOG, { 0, 1 }, "fd_draw_times: log-uniform times need tmin > 0" },
        { &ou, FD_T_LEVELS, { 0, 1 }, "fd_draw_times: levels are those of a chain or a ladder" },
        { &ou, FD_T_LOGNORMAL, { NAN, 1 },
          "fd_draw_times: log-normal times need a finite mean and deviation" },
        { &ou, FD_T_LOGNORMAL, { 0, -1 },
          "fd_draw_times: log-normal times need a finite mean and deviation" },
        { &lad, -1, { 0, 1 }, "fd_draw_times: no such law of times: -1" },
        { &shortest, FD_T_LEVELS, { 0, 1 }, "fd_draw_times: a chain needs tmax >= 1" } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[200];
        double t[3] = { -7, -7, -7 };
        st.code = 0;
        fd_draw_times(row[i].p, row[i].rule, row[i].prm, fd_seed(1), 0, 3, t, &st);
        fd_explain(&st, text, sizeof text);
        OK(st.code == FD_EARG && !strcmp(text, row[i].want) && t[0] == -7, "explained as '%s'",
           text);
    }
}

void test_processes(void)
{
    check_laws();
    check_modal();
    check_times();
    check_refused();
    check_times_refused();
}

/* ---- models ---- */

static const int mixed_bc[2] = { FD_PERIODIC, FD_NEUMANN };

/* Where the maps do not exist. */
static void check_no_map(const fd_cov *one, fd_arena a)
{
    fd_process fl = fd_flow(one, 0);
    static const struct { int from, to; double t; int code; } row[] = {
        { FD_NOISE, FD_X0, 1, FD_EARG }, { FD_NOISE, FD_VELOCITY, 1, FD_EARG },
        { FD_SCORE, FD_X0, 1, FD_EARG }, { FD_NOISE, FD_SCORE, 1, FD_OK },
        { FD_SCORE, FD_NOISE, 1, FD_OK }, { FD_VELOCITY, FD_X0, 1, FD_OK },
        { FD_V, FD_X0, 1, FD_OK }, { FD_X0, FD_V, 1, FD_OK }, { FD_X0, FD_VELOCITY, 1, FD_OK },
        { FD_X0, FD_NOISE, 0, FD_EARG }, { FD_V, FD_X0, 0, FD_EARG }, { FD_X0, FD_X0, 0, FD_OK },
        { FD_X0, 7, .5, FD_EARG }, { -1, FD_X0, .5, FD_EARG },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fd_real xx = 2, yy = (fd_real).5;
        a.st->code = 0;
        fd_convert(&fl, row[i].from, row[i].to, 1, &xx, &row[i].t, &yy, a);
        OK(a.st->code == row[i].code, "flow %d to %d at %g: code %d", row[i].from, row[i].to,
           row[i].t, a.st->code);
        if (a.st->code) OK(yy == (fd_real).5, "output touched");
        else OK(isfinite(yy), "not finite");
    }
    fd_real xx[2] = { 2, 2 }, yy[2] = { .5, .5 };
    /* one bad function of two: neither is done */
    a.st->code = 0;
    fd_convert(&fl, FD_NOISE, FD_X0, 2, xx, (double[]){ .5, 1 }, yy, a);
    OK(a.st->code == FD_EARG && yy[0] == (fd_real).5 && yy[1] == (fd_real).5, "half a batch");
    char text[200];
    fd_explain(a.st, text, sizeof text);
    OK(!strcmp(text, "fd_convert: there is no such map where m = 0"), "explained as '%s'", text);
    a.st->code = 0;                                            /* x0 to v where m = 0: v = -x0 */
    yy[0] = (fd_real).5;
    fd_convert(&fl, FD_X0, FD_V, 1, xx, (double[]){ 1 }, yy, a);
    NEAR(yy[0], -.5, 1e-7, "v at m = 0");
}

/* every kind into every other: x, and both predictions, from one x0 and one eps */
static void check_convert(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 3 }, NULL, mixed_bc, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .4, 1.5);
    fd_process p[PROCS];
    enum { B = 3 };
    ptrdiff_t n = B * fd_size(&s);
    fd_real *x0 = fd_new(&a, fd_real, n), *e = fd_new(&a, fd_real, n), *x = fd_new(&a, fd_real, n);
    fd_real *y = fd_new(&a, fd_real, n), *z = fd_new(&a, fd_real, n);
    processes(&a, noise, p);
    fd_normal(fd_seed(11), n, x0);
    for (int i = 0; i < PROCS; i++) {
        double t[B], amp = 1;
        for (int j = 0; j < B; j++) {
            t[j] = p[i].tmax * (.21 + .23 * j);
            for (ptrdiff_t k = 0; k < s.modes; k++) {
                fd_coef c = fd_law(&p[i], t[j], k);
                amp = maxd(amp, maxd(1, c.v / c.m + 1 / sqrt(c.v)) / c.m);
            }
        }
        fd_perturb(&p[i], fd_seed(12), 0, B, x0, t, x, e, a);
        for (int from = 0; from < 5; from++)
            for (int to = 0; to < 5; to++) {
                fd_target(&p[i], from, B, x0, e, t, y, a);
                fd_target(&p[i], to, B, x0, e, t, z, a);
                fd_convert(&p[i], from, to, B, x, t, y, a);
                NEAR(test_rel(n, y, z), 0, 20 * EPS * amp, "%s %d to %d", proc_name[i], from, to);
            }
    }
    /* the definitions, one number at a time */
    fd_cov *one = one_mode(&a, .7);
    fd_process f = fd_subvp(one, .1, 20);
    fd_coef c = fd_law(&f, .3, 0);
    double sd = sqrt(c.v), t = .3, D = .9, X = 1.7, E = (X - c.m * D) / sd;
    double want[5] = { D, E, -(X - c.m * D) / c.v, c.m * E - sd * D,
                       -(c.dm * D + c.dv / (2 * sd) * E) };
    for (int to = 0; to < 5; to++) {
        fd_real xx = (fd_real)X, yy = (fd_real)D;
        fd_convert(&f, FD_X0, to, 1, &xx, &t, &yy, a);
        NEAR(yy, want[to], TOL(1e-14, 1e-5) * maxd(1, fabs(want[to])), "x0 to %d", to);
    }
    OK(!st.code, "status");

    check_no_map(one, a);
}

/* y' J by columns: (f(x + d e_i) - f(x - d e_i)) . dy / 2d */
static void check_vjp(const char *name, const fd_model *m, const fd_space *s, fd_arena a, double d,
                      double tol)
{
    ptrdiff_t n = fd_size(s);
    enum { B = 2 };
    double t[B] = { .31, .12 };
    fd_real *x = fd_new(&a, fd_real, B * n), *dy = fd_new(&a, fd_real, B * n),
        *dx = fd_new(&a, fd_real, B * n);
    fd_real *u = fd_new(&a, fd_real, B * n), *f = fd_new(&a, fd_real, B * n),
        *g = fd_new(&a, fd_real, B * n);
    double worst = 0, scale = 0;
    fd_normal(fd_seed(21), B * n, x);
    fd_normal(fd_seed(22), B * n, dy);
    m->vjp(m->self, s, B, x, t, dy, dx, a);
    for (ptrdiff_t i = 0; i < n; i++) {
        memcpy(u, x, (size_t)(B * n) * sizeof *u);
        for (int b = 0; b < B; b++) u[b * n + i] += (fd_real)d;
        m->eval(m->self, s, B, u, t, f, a);
        for (int b = 0; b < B; b++) u[b * n + i] = x[b * n + i] - (fd_real)d;
        m->eval(m->self, s, B, u, t, g, a);
        for (int b = 0; b < B; b++) {
            double sum = 0;
            for (ptrdiff_t j = b * n; j < (b + 1) * n; j++)
                sum += (double)dy[j] * ((double)f[j] - g[j]);
            worst = maxd(worst, fabs(sum / (2 * d) - dx[b * n + i]));
            scale = maxd(scale, fabs((double)dx[b * n + i]));
        }
    }
    NEAR(worst / scale, 0, tol, "%s: vjp against differences", name);
}

static double kernel_exp(const double *x, const double *y, const void *prm)
{
    return exp(-fabs(x[0] - y[0]) / *(const double *)prm);
}

/* D and Var by the formula, mode by mode, for process i. */
static void check_formula(int i, const fd_process *p, const fd_cov *c0, const fd_real *mean,
                          const fd_real *x, fd_arena a)
{
    enum { B = 2, CH = 2 };
    const fd_space s = c0->s;
    const fd_cov *noise = p->noise;
    const double *c = c0->lam, t[B] = { .31, .12 };
    ptrdiff_t n = fd_size(&s);
    fd_real *y = fd_new(&a, fd_real, B * n), *w = fd_new(&a, fd_real, B * n);
    fd_real *M = fd_new(&a, fd_real, n), *u = fd_new(&a, fd_real, B * n);
    fd_to_modes(&s, 1, mean, M, a);
    fd_model m = fd_oracle_gauss(&a, p, mean, c0);
    double tt[B], worst = 0, wv = 0;
    for (int b = 0; b < B; b++) tt[b] = t[b] * p->tmax;
    OK(m.predicts == FD_X0 && m.eval && m.vjp && m.var, "%s oracle", proc_name[i]);
    m.eval(m.self, &s, B, x, tt, y, a);
    m.var(m.self, &s, B, x, tt, w, a);
    fd_to_modes(&s, B, y, y, a);
    fd_to_modes(&s, B, x, u, a);
    for (int b = 0; b < B; b++)
        for (int h = 0; h < CH; h++)
            for (ptrdiff_t k = 0; k < s.modes; k++) {
                fd_coef f = fd_law(p, tt[b], k);
                ptrdiff_t at = (b * CH + h) * s.modes + k;
                double lam = noise->lam[k], P = f.m * f.m * c[k] + f.v * lam,
                    Mk = M[h * s.modes + k];
                double D = P > 0 ? (c[k] * f.m * u[at] + f.v * lam * Mk) / P : Mk;
                worst = maxd(worst, fabs(D - y[at]) / (1 + fabs(D)));
                wv = maxd(wv, fabs(w[at] - (P > 0 ? c[k] * f.v * lam / P : 0)));
            }
    NEAR(worst, 0, 100 * EPS, "%s: D of the formula", proc_name[i]);
    NEAR(wv, 0, 10 * EPS, "%s: Var of the formula", proc_name[i]);
    if (i == 1 || i == 8) check_vjp(proc_name[i], &m, &s, a, 1e-2, TOL(1e-10, 3e-3));
}

/* c a multiple of C on a grid without lam = 0: pointwise, and the same answer. */
static void check_proportional(const fd_real *mean, const fd_real *x, fd_arena a)
{
    enum { CH = 2 };
    static const int bc[2] = { FD_PERIODIC, FD_DIRICHLET };
    double t[1] = { .31 }, worst = 0;
    fd_space so = fd_grid(&a, 2, (int[]){ 5, 3 }, NULL, bc, CH);
    fd_cov *no = fd_cov_matern(&a, &so, 1.3, .4, 1.5), *co = fd_cov_matern(&a, &so, 2.6, .4, 1.5);
    fd_process vp = fd_vp(no, .1, 20);
    fd_model m = fd_oracle_gauss(&a, &vp, mean, co);
    ptrdiff_t no_n = fd_size(&so);
    fd_real *y = fd_new(&a, fd_real, no_n);
    m.eval(m.self, &so, 1, x, t, y, a);
    fd_coef f = fd_law(&vp, t[0], 0);
    for (ptrdiff_t i = 0; i < no_n; i++)
        worst = maxd(worst, fabs(y[i] - (2 * f.m * x[i] + f.v * mean[i]) / (2 * f.m * f.m + f.v)));
    NEAR(worst, 0, 20 * EPS, "proportional covariances");
    check_vjp("proportional", &m, &so, a, 1e-2, TOL(1e-10, 3e-3));
    fd_real *keep = fd_new(&a, fd_real, no_n);
    memcpy(keep, y, (size_t)no_n * sizeof *keep);
    co->lam[4] *= 1 + 1e-12;
    m = fd_oracle_gauss(&a, &vp, mean, co);
    m.eval(m.self, &so, 1, x, t, y, a);
    NEAR(test_rel(no_n, y, keep), 0, 30 * EPS + 1e-12, "pointwise and by modes");
}

/* A dense space whose weights are not equal: the vjp is the transpose, not the adjoint. */
static void check_dense(fd_arena a)
{
    enum { Q = 5, K = 3 };
    fd_real *wt = fd_new(&a, fd_real, Q), *basis = fd_new(&a, fd_real, K * Q);
    for (int i = 0; i < Q; i++) wt[i] = (fd_real)(.1 + .07 * i);
    fd_normal(fd_seed(33), K * Q, basis);
    for (int k = 0; k < K; k++) {                           /* Gram-Schmidt */
        for (int l = 0; l <= k; l++) {
            double dot = 0;
            for (int i = 0; i < Q; i++) dot += (double)wt[i] * basis[k * Q + i] * basis[l * Q + i];
            for (int i = 0; i < Q; i++)
                basis[k * Q + i] = (fd_real)(l < k ? basis[k * Q + i] - dot * basis[l * Q + i]
                                                   : basis[k * Q + i] / sqrt(dot));
        }
    }
    fd_space sd = fd_dense(NULL, Q, K, basis, wt, 2);
    fd_cov *dn = fd_cov_table(&a, &sd, (double[]){ 1, .6, .2 }),
        *dc = fd_cov_table(&a, &sd, (double[]){ .3, .9, .1 });
    fd_process dp = fd_vp(dn, .1, 20);
    fd_model dm = fd_oracle_gauss(&a, &dp, NULL, dc);
    check_vjp("dense", &dm, &sd, a, 1e-2, TOL(1e-10, 3e-3));
    fd_real *two = fd_new(&a, fd_real, 2 * 2 * Q);
    fd_normal(fd_seed(34), 2 * 2 * Q, two);
    const fd_cov *dcs[2] = { dc, dn };
    dm = fd_oracle_mix(&a, &dp, 2, (double[]){ .4, .6 }, two, dcs);
    check_vjp("dense mixture", &dm, &sd, a, TOL(1e-4, 1e-2), TOL(1e-6, 1e-2));
}

/* Models that cannot be. */
static void check_gauss_wrong(const fd_cov *c0, const fd_real *x, fd_arena a)
{
    const fd_space s = c0->s;
    fd_space so = fd_grid(&a, 2, (int[]){ 5, 3 }, NULL, (int[]){ FD_PERIODIC, FD_DIRICHLET }, 2);
    fd_cov *no = fd_cov_matern(&a, &so, 1.3, .4, 1.5), *co = fd_cov_matern(&a, &so, 2.6, .4, 1.5);
    fd_process vp = fd_vp(no, .1, 20);
    fd_model m = fd_oracle_gauss(&a, &vp, NULL, co);
    double t[1] = { .31 };
    fd_real *y = fd_new(&a, fd_real, fd_size(&s));
    fd_model none = fd_oracle_gauss(&a, &vp, NULL, c0);
    OK(a.st->code == FD_ESHAPE && !none.eval, "covariances of two grids");
    a.st->code = 0;
    double ell = .3;
    fd_space line = fd_grid(&a, 1, (int[]){ 7 }, NULL, NULL, 1);
    fd_cov *k1 = fd_cov_kernel(&a, &line, kernel_exp, &ell),
        *k2 = fd_cov_kernel(&a, &line, kernel_exp, &ell);
    fd_process kp = fd_ou(k1, 2);
    fd_oracle_gauss(&a, &kp, NULL, k1);
    OK(!a.st->code, "a kernel with itself");
    fd_oracle_gauss(&a, &kp, NULL, k2);
    OK(a.st->code == FD_ESHAPE, "two bases do not commute");
    a.st->code = 0;
    m.eval(m.self, &s, 1, x, t, y, a);
    OK(a.st->code == FD_ESHAPE, "a model on another space");
    a.st->code = 0;
    fd_process lost = fd_vp(NULL, .1, 20);
    none = fd_oracle_gauss(&a, &lost, NULL, NULL);
    OK(a.st->code == FD_EARG && !none.eval, "a process without noise");
    a.st->code = 0;
    fd_predict(&none, FD_X0, &vp, 1, x, t, y, a);
    OK(a.st->code == FD_EARG, "an empty model");
    a.st->code = 0;
    fd_oracle_mix(&a, &vp, 2, (double[]){ 1, -1 }, NULL, (const fd_cov *const[]){ co, co });
    OK(a.st->code == FD_EDATA, "a negative weight");
    a.st->code = 0;
    fd_oracle_mix(&a, &vp, 0, NULL, NULL, NULL);
    OK(a.st->code == FD_EARG, "no components");
}

static void check_gauss(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { B = 2, CH = 2 };
    static const int bc[2] = { FD_PERIODIC, FD_DIRICHLET };
    fd_space s = fd_grid(&a, 2, (int[]){ 6, 3 }, NULL, bc, CH);
    /* even: with Nyquist modes */
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .4, 1.5), *c0;
    double c[18];
    for (int k = 0; k < 18; k++) c[k] = k == 2 ? 0 : .3 + .11 * k;
    /* c > 0 where lam = 0, too */
    int j[3], zero = -1;
    for (ptrdiff_t k = 0; k < s.modes; k++) if (fd_mode(&s, k, j)) zero = (int)k;
    c[zero] = 0;                                                        /* lam = c = 0 */
    c0 = fd_cov_table(&a, &s, c);
    for (int k = 0; k < 18; k++) c0->lam[k] = c[k];
    /* whatever a table does with Nyquist */
    ptrdiff_t n = fd_size(&s);
    fd_real *mean = fd_new(&a, fd_real, n), *x = fd_new(&a, fd_real, B * n);
    fd_real *y = fd_new(&a, fd_real, B * n), *w = fd_new(&a, fd_real, B * n);
    fd_normal(fd_seed(31), n, mean);
    fd_normal(fd_seed(32), B * n, x);
    fd_process p[PROCS];
    processes(&a, noise, p);
    for (int i = 0; i < PROCS; i++) check_formula(i, &p[i], c0, mean, x, a);
    /* m = 0: the prior; v lam = 0 and m = 0 likewise */
    fd_model fl = fd_oracle_gauss(&a, &p[6], mean, c0);
    double one[B] = { 1, 1 };
    fl.eval(fl.self, &s, B, x, one, y, a);
    NEAR(test_rel(n, y, mean), 0, 20 * EPS, "flow at t = 1: the mean");
    fl.var(fl.self, &s, B, x, one, w, a);
    double worst = 0;
    for (int k = 0; k < 18; k++) worst = maxd(worst, fabs(w[k] - c[k]));
    NEAR(worst, 0, 10 * EPS, "flow at t = 1: the variance of the data");

    check_proportional(mean, x, a);
    check_dense(a);
    OK(!st.code, "status");
    check_gauss_wrong(c0, x, a);
}

/* log sum_i w_i N(x; m M_i, m^2 c_i + v lam), K modes */
static double mix_logp(int n, int K, const double *w, const double *M, const double *c,
                       const double *lam,
                       fd_coef f, const double *x)
{
    double l[8], top = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) {
        l[i] = log(w[i]);
        for (int k = 0; k < K; k++) {
            double P = f.m * f.m * c[i * K + k] + f.v * lam[k], d = x[k] - f.m * M[i * K + k];
            l[i] -= .5 * (log(2 * PI * P) + d * d / P);
        }
        if (l[i] > top) top = l[i];
    }
    for (int i = 0; i < n; i++) sum += exp(l[i] - top);
    return top + log(sum);
}

/* A mixture of three on five points, two channels; two states x, M and u are coefficients. */
typedef struct {
    fd_space s;
    double w[3], lam[5], c[3][5], t[2];
    const fd_cov *cov[3];
    fd_cov *noise;
    fd_process p;
    fd_real *mean, *M, *x, *u;
} mixture;

static mixture mixture_new(fd_arena *a)
{
    enum { K = 5, N = 3, CH = 2, B = 2 };
    mixture q = { .w = { .3, .5, .2 }, .lam = { 1, .6, .3, .2, .15 }, .t = { .23, .08 } };
    q.s = fd_grid(a, 1, (int[]){ K }, NULL, NULL, CH);
    q.mean = fd_new(a, fd_real, N * CH * K), q.M = fd_new(a, fd_real, N * CH * K);
    q.x = fd_new(a, fd_real, B * CH * K), q.u = fd_new(a, fd_real, B * CH * K);
    q.noise = fd_cov_table(a, &q.s, q.lam);
    q.p = fd_vp(q.noise, .1, 20);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < K; k++) q.c[i][k] = .1 + .3 * fabs(sin(3 * i + k + .4));
        q.cov[i] = fd_cov_table(a, &q.s, q.c[i]);
    }
    fd_normal(fd_seed(41), N * CH * K, q.mean);
    fd_normal(fd_seed(42), B * CH * K, q.x);
    fd_to_modes(&q.s, N, q.mean, q.M, *a);
    fd_to_modes(&q.s, B, q.x, q.u, *a);
    return q;
}

/* Twice the same component is that component. */
static void check_mix_twice(const mixture *q, const fd_process *p, fd_arena a)
{
    enum { K = 5, CH = 2, B = 2 };
    const fd_cov *c = q->cov[1];
    fd_real *y = fd_new(&a, fd_real, B * CH * K);
    double tt[B] = { .4 * p->tmax, .2 * p->tmax };
    fd_model g1 = fd_oracle_gauss(&a, p, q->mean, c);
    fd_real *pair = fd_new(&a, fd_real, 2 * CH * K), *z = fd_new(&a, fd_real, B * CH * K);
    memcpy(pair, q->mean, CH * K * sizeof *pair);
    memcpy(pair + CH * K, q->mean, CH * K * sizeof *pair);
    fd_model g2 = fd_oracle_mix(&a, p, 2, (double[]){ 1, 3 }, pair,
                                (const fd_cov *const[]){ c, c });
    fd_predict(&g1, FD_X0, p, B, q->x, tt, y, a);
    fd_predict(&g2, FD_X0, p, B, q->x, tt, z, a);
    NEAR(test_rel(B * CH * K, z, y), 0, 30 * EPS, "twice the same component");
    g1.var(g1.self, &q->s, B, q->x, tt, y, a);
    g2.var(g2.self, &q->s, B, q->x, tt, z, a);
    NEAR(test_rel(B * CH * K, z, y), 0, 100 * EPS, "its variance");
}

/* Equal covariances: sum W_i (m mu_i - x)/lam is the score. */
static void check_mix_equal(const mixture *q, fd_arena a)
{
    enum { K = 5, N = 3, CH = 2 };
    fd_real *y = fd_new(&a, fd_real, CH * K);
    double worst = 0;
    const fd_cov *same[N] = { q->noise, q->noise, q->noise };
    fd_model e = fd_oracle_mix(&a, &q->p, N, q->w, q->mean, same);
    fd_predict(&e, FD_SCORE, &q->p, 1, q->x, q->t, y, a);
    fd_to_modes(&q->s, 1, y, y, a);
    fd_coef f = fd_law(&q->p, q->t[0], 0);
    double W[N], tot = 0;
    for (int i = 0; i < N; i++) {
        double far = 0;
        for (int j = 0; j < CH * K; j++)
            far += pow(q->u[j] - f.m * q->M[i * CH * K + j], 2) / q->lam[j % K];
        tot += W[i] = q->w[i] * exp(-.5 * far);
    }
    for (int j = 0; j < CH * K; j++) {
        double sc = 0;
        for (int i = 0; i < N; i++) sc += W[i] / tot * (f.m * q->M[i * CH * K + j] - q->u[j]);
        worst = maxd(worst, fabs(sc - y[j]));
    }
    NEAR(worst, 0, TOL(1e-12, 1e-4), "components of covariance C");
}

/* lam = 0: a mode counts in the weights where every component has variance, else it does not. */
static void check_mix_bare(const mixture *q, fd_arena a)
{
    enum { K = 5, CH = 2 };
    const fd_coef f = fd_law(&q->p, q->t[0], 0);
    fd_real *y = fd_new(&a, fd_real, CH * K);
    double worst = 0;
    double lz[K], cz[2][K];
    for (int k = 0; k < K; k++) {
        lz[k] = k > 2 ? 0 : q->lam[k];
        cz[0][k] = q->c[0][k], cz[1][k] = k == 4 ? 0 : q->c[1][k];
    }
    fd_cov *nz = fd_cov_table(&a, &q->s, lz);
    const fd_cov *tz[2] = { fd_cov_table(&a, &q->s, cz[0]), fd_cov_table(&a, &q->s, cz[1]) };
    fd_process pz = fd_vp(nz, .1, 20);
    fd_model mz = fd_oracle_mix(&a, &pz, 2, (double[]){ .4, .6 }, q->mean, tz);
    fd_real *small = fd_new(&a, fd_real, CH * K);
    for (int j = 0; j < CH * K; j++) small[j] = (fd_real).3 * q->x[j];
    mz.eval(mz.self, &q->s, 1, small, q->t, y, a);
    fd_to_modes(&q->s, 1, y, y, a);
    fd_to_modes(&q->s, 1, small, small, a);
    double lw[2];
    for (int i = 0; i < 2; i++) {
        lw[i] = log(i ? .6 : .4);
        for (int j = 0; j < CH * K; j++) {
            double P = f.m * f.m * cz[i][j % K] + f.v * lz[j % K];
            if (j % K < 4)
                lw[i] -= .5 * (log(P) + pow(small[j] - f.m * q->M[i * CH * K + j], 2) / P);
        }
    }
    for (int j = 0; j < CH * K; j++) {
        double D = 0;
        for (int i = 0; i < 2; i++) {
            double P = f.m * f.m * cz[i][j % K] + f.v * lz[j % K], Mj = q->M[i * CH * K + j];
            double Wi = 1 / (1 + exp(lw[!i] - lw[i]));
            D += Wi * (P > 0 ? (cz[i][j % K] * f.m * small[j] + f.v * lz[j % K] * Mj) / P : Mj);
        }
        worst = maxd(worst, fabs(D - y[j]));
    }
    NEAR(worst, 0, TOL(1e-12, 1e-4), "mixture with lam = 0 on two modes");
    OK(fabs(lw[0] - lw[1]) < 8, "both components have weight: %g", lw[0] - lw[1]);
}

/* One mode: D and Var by quadrature over x0; the continuity equation of the flow. */
static void check_mix_mode(fd_arena a)
{
    fd_cov *one = one_mode(&a, 1);
    fd_process vp = fd_vp(one, .1, 20), fl = fd_flow(one, 1e-4);
    const fd_cov *c1[2] = { one_on(&a, one, .1), one_on(&a, one, .2) };
    fd_real mu[2] = { -1.5, 1 };
    fd_model q = fd_oracle_mix(&a, &vp, 2, (double[]){ .3, .7 }, mu, c1);
    for (int j = 0; j < 5; j++) {
        double tt = .05 + .2 * j, m0 = 0, m1 = 0, m2 = 0;
        fd_real xx = (fd_real)(-1.1 + .57 * j), D, V;
        fd_coef f = fd_law(&vp, tt, 0);
        for (int i = -4000; i <= 4000; i++) {
            double z = i * .0015, pr = exp(-pow(xx - f.m * z, 2) / (2 * f.v))
                * (.3 * exp(-pow(z + 1.5, 2) / .2) / sqrt(.1)
                   + .7 * exp(-pow(z - 1, 2) / .4) / sqrt(.2));
            m0 += pr, m1 += pr * z, m2 += pr * z * z;
        }
        q.eval(q.self, &one->s, 1, &xx, &tt, &D, a);
        q.var(q.self, &one->s, 1, &xx, &tt, &V, a);
        NEAR(D, m1 / m0, TOL(1e-11, 1e-5), "D by quadrature, t = %g", tt);
        NEAR(V, m2 / m0 - m1 * m1 / m0 / m0, TOL(1e-11, 1e-5), "Var by quadrature, t = %g", tt);
    }
    fd_model fm = fd_oracle_mix(&a, &fl, 2, (double[]){ .3, .7 }, mu, c1);
    double mm[2] = { -1.5, 1 }, c2[2] = { .1, .2 }, l1 = 1, wm[2] = { .3, .7 }, resid = 0, d = 4e-4;
    for (int j = 0; j < 5 && EPS < 1e-10; j++) {
        static const double q4[4] = { 1, -8, 8, -1 };
        double tt = .2 + .15 * j, X = -1.3 + .61 * j, dr = 0, dxp = 0;
        for (int k = 0; k < 4; k++) {
            double o = d * (k < 2 ? k - 2 : k - 1), xo = X + o;
            fd_real xr = (fd_real)xo, v;
            dr -= q4[k] * exp(mix_logp(2, 1, wm, mm, c2, &l1, fd_law(&fl, tt + o, 0), &X))
                / (12 * d);
            fd_predict(&fm, FD_VELOCITY, &fl, 1, &xr, &tt, &v, a);
            dxp += q4[k] * v * exp(mix_logp(2, 1, wm, mm, c2, &l1, fd_law(&fl, tt, 0), &xo))
                 / (12 * d);
        }
        resid = maxd(resid, fabs(dr + dxp));
    }
    NEAR(resid, 0, 1e-9, "continuity equation of the flow");
}

static void check_mix(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { K = 5, N = 3, CH = 2, B = 2 };
    mixture q = mixture_new(&a);
    fd_real *y = fd_new(&a, fd_real, B * CH * K);
    fd_model m = fd_oracle_mix(&a, &q.p, N, q.w, q.mean, q.cov);
    fd_predict(&m, FD_SCORE, &q.p, B, q.x, q.t, y, a);
    fd_to_modes(&q.s, B, y, y, a);
    double cc[N * CH * K], MM[N * CH * K], ll[CH * K], worst = 0, scale = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < CH * K; j++) {
            cc[i * CH * K + j] = q.c[i][j % K];
            MM[i * CH * K + j] = q.M[i * CH * K + j];
            ll[j] = q.lam[j % K];
        }
    for (int b = 0; b < B; b++) {
        fd_coef f = fd_law(&q.p, q.t[b], 0);
        double X[CH * K], d = 1e-3;
        for (int j = 0; j < CH * K; j++) X[j] = q.u[b * CH * K + j];
        for (int j = 0; j < CH * K; j++) {                  /* fourth-order differences of log p */
            static const double q4[4] = { 1, -8, 8, -1 };
            double g = 0, keep = X[j];
            for (int e = 0; e < 4; e++) {
                X[j] = keep + d * (e < 2 ? e - 2 : e - 1);
                g += q4[e] * mix_logp(N, CH * K, q.w, MM, cc, ll, f, X) / (12 * d);
            }
            X[j] = keep;
            worst = maxd(worst, fabs(ll[j] * g - y[b * CH * K + j]));
            scale = maxd(scale, fabs(ll[j] * g));
        }
    }
    NEAR(worst / scale, 0, TOL(1e-8, 1e-4), "score of a mixture against log p");
    check_vjp("mixture", &m, &q.s, a, TOL(1e-4, 1e-2), TOL(1e-6, 1e-2));
    /* one component is the Gaussian; a modal process */
    fd_process hp = heat(q.noise);
    check_mix_twice(&q, &q.p, a), check_mix_twice(&q, &hp, a);
    check_mix_equal(&q, a);
    check_mix_bare(&q, a);
    check_mix_mode(a);
    OK(!st.code, "status");
}

/* smooth components on fine grids: P is 1e-14 in thousands of modes, where means hold rounding
 * only. What the odds are is known, for the means differ in mode 1 alone. */
static void check_mix_fine(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    for (int n = 64; n <= 4096; n *= 8)
        for (int smooth = 0; smooth < 2; smooth++) {
            fd_arena q = a;
            fd_space s = fd_grid(&q, 1, &n, NULL, NULL, 1);
            fd_cov *c = smooth ? fd_cov_rbf(&q, &s, .2, .2) : fd_cov_matern(&q, &s, .2, .2, 1.5);
            fd_cov *noise = fd_cov_matern(&q, &s, 1, .2, 1.5);
            fd_process p = fd_vp(smooth ? noise : c, .1, 20);
            fd_real *mean = fd_new(&q, fd_real, 2 * n), *x = fd_new(&q, fd_real, n);
            fd_real *d = fd_new(&q, fd_real, n);
            double t = .3, worst = 0;
            mean[1] = 1, mean[n + 1] = -1;
            fd_from_modes(&s, 2, mean, mean, q);
            fd_model m = fd_oracle_mix(&q, &p, 2, (double[]){ .4, .6 }, mean,
                                       (const fd_cov *[]){ c, c });
            fd_coef f = fd_law(&p, t, 0);
            double P = f.m * f.m * c->lam[1] + f.v * p.noise->lam[1], g = c->lam[1] * f.m / P;
            for (int i = 0; i < 5; i++) {
                fd_perturb(&p, fd_seed(47), i, 1, d, &t, x, NULL, q);    /* of 0: both are likely */
                fd_to_modes(&s, 1, x, d, q);
                double u = d[1], W = 1 / (1 + 1.5 * exp(-2 * f.m * u / P));
                double want = g * u + (1 - g * f.m) * (2 * W - 1);
                m.eval(m.self, &s, 1, x, &t, d, q);
                fd_to_modes(&s, 1, d, d, q);
                worst = maxd(worst, fabs(d[1] - want));
                memset(d, 0, (size_t)n * sizeof *d);
            }
            NEAR(worst, 0, TOL(1e-9, 2e-4), "odds of a mixture, %d points, smooth %d", n, smooth);
        }
    OK(!st.code, "status");
}

/* A very smooth C: v lam is far below rounding, and still the right point is found. */
static void check_smooth_data(fd_arena a)
{
    enum { N = 7 };
    fd_space g = fd_grid(&a, 1, (int[]){ 32 }, NULL, NULL, 1);
    fd_cov *smooth = fd_cov_rbf(&a, &g, 1, .3);
    fd_process sp = fd_vp(smooth, .1, 20);
    fd_real *big = fd_new(&a, fd_real, N * 32), *xt = fd_new(&a, fd_real, N * 32),
        *D = fd_new(&a, fd_real, N * 32);
    double tt[N];
    for (int i = 0; i < N; i++) tt[i] = .02;
    fd_cov_draw(smooth, fd_seed(53), 0, N, big, a);
    fd_perturb(&sp, fd_seed(54), 0, N, big, tt, xt, NULL, a);
    fd_model ms = fd_oracle_data(&a, &sp, N, big);
    ms.eval(ms.self, &g, N, xt, tt, D, a);
    NEAR(test_rel(N * 32, D, big), 0, 1e-3, "smooth C");
}

static void check_data(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { P = 6, N = 7, CH = 2, B = 3 };
    fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, NULL, CH);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.2, .5, 1.5);    /* lam = 0 on the Nyquist mode */
    fd_process p = fd_vp(noise, .1, 20);
    ptrdiff_t n = fd_size(&s);
    fd_real *x0 = fd_new(&a, fd_real, N * n), *M = fd_new(&a, fd_real, N * n),
        *x = fd_new(&a, fd_real, B * n);
    fd_real *u = fd_new(&a, fd_real, B * n), *y = fd_new(&a, fd_real, B * n),
        *v = fd_new(&a, fd_real, B * n);
    double t[B] = { .9, .4, .2 }, worst = 0, wv = 0;
    fd_normal(fd_seed(51), N * n, x0);
    fd_cov_draw(noise, fd_seed(52), 0, B, x, a);
    for (ptrdiff_t j = 0; j < B * n; j++) x[j] += (fd_real).1 * x0[j];
    fd_model m = fd_oracle_data(&a, &p, N, x0);
    m.eval(m.self, &s, B, x, t, y, a);
    m.var(m.self, &s, B, x, t, v, a);
    fd_to_modes(&s, B, y, y, a);
    fd_to_modes(&s, B, x, u, a);
    fd_to_modes(&s, N, x0, M, a);
    for (int b = 0; b < B; b++) {
        fd_coef f = fd_law(&p, t[b], 0);
        double l[N], top = -1e300, sum = 0;
        for (int i = 0; i < N; i++) {
            l[i] = 0;
            for (int j = 0; j < n; j++)
                if (noise->lam[j % P] > 0)
                    l[i] -= pow(u[b * n + j] - f.m * M[i * n + j], 2)
                          / (2 * f.v * noise->lam[j % P]);
            top = maxd(top, l[i]);
        }
        for (int i = 0; i < N; i++) sum += l[i] = exp(l[i] - top);
        for (int j = 0; j < n; j++) {
            double D = 0, D2 = 0;
            for (int i = 0; i < N; i++)
                D += l[i] / sum * M[i * n + j], D2 += l[i] / sum * pow(M[i * n + j], 2);
            worst = maxd(worst, fabs(D - y[b * n + j]));
            wv = maxd(wv, fabs(D2 - D * D - v[b * n + j]));
        }
    }
    NEAR(worst, 0, TOL(1e-12, 1e-3), "D of a data set");
    NEAR(wv, 0, TOL(1e-12, 1e-3), "Var of a data set");
    fd_real *near = fd_new(&a, fd_real, N * n);             /* so near that all have weight */
    fd_cov_draw(noise, fd_seed(55), 0, N, near, a);
    for (ptrdiff_t j = 0; j < N * n; j++) near[j] *= (fd_real).2;
    fd_model mn = fd_oracle_data(&a, &p, N, near);
    check_vjp("data", &mn, &s, a, TOL(1e-4, 1e-2), TOL(1e-6, 3e-2));
    check_smooth_data(a);
    fd_oracle_data(&a, &p, 0, x0);
    OK(st.code == FD_EARG, "no data");
}

/* models that predict kind k, made of an oracle */
typedef struct { const fd_process *p; fd_model m; int kind; } via;
static void via_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y,
                     fd_arena scratch)
{
    const via *v = self;
    (void)s;
    fd_predict(&v->m, v->kind, v->p, b, x, t, y, scratch);
}

/* F = 0, and F = A x with A = [i + j == n - 1 or i == j] times 1.5 */
static void zero_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *t, fd_real *y,
                      fd_arena scratch)
{
    (void)self, (void)x, (void)t, (void)scratch;
    memset(y, 0, (size_t)b * (size_t)fd_size(s) * sizeof *y);
}

static void flip_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *t, fd_real *y,
                      fd_arena scratch)
{
    ptrdiff_t n = fd_size(s);
    (void)self, (void)t, (void)scratch;
    for (int i = 0; i < b; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            y[i * n + j] = (fd_real)1.5 * (x[i * n + j] + 2 * x[i * n + (j + 1) % n]);
}

static void flip_vjp(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    ptrdiff_t n = fd_size(s);
    (void)self, (void)t, (void)scratch, (void)x;
    for (int i = 0; i < b; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            dx[i * n + j] = (fd_real)1.5 * (dy[i * n + j] + 2 * dy[i * n + (j + n - 1) % n]);
}

/* The scales: mean pixel variance of G and of x0 given X_t. */
static void check_scales(const fd_precond *w, const fd_process *p, const fd_cov *c0, double t)
{
    double cin, cout, vin = 0, vout = 0;
    fd_precond_scale(w, t, &cin, &cout);
    for (ptrdiff_t j = 0; j < c0->s.modes; j++) {
        fd_coef f = fd_law(p, t, j);
        double P = f.m * f.m * c0->lam[j] + f.v * p->noise->lam[j];
        vin += pow(f.m * c0->lam[j], 2) / P / 2.385;
        vout += c0->lam[j] * f.v * p->noise->lam[j] / P / 2.385;
    }
    NEAR(cin * cin * vin, 1, 1e-12, "cin");
    NEAR(cout * cout / vout, 1, 1e-12, "cout");
}

/* C with pixel variance 1, c0 = sd^2 C, m = 1: c_skip, c_out, c_in of [EDM]. */
static void check_precond_edm(fd_arena a)
{
    fd_real xt[9], y[9];
    fd_normal(fd_seed(64), 9, xt);
    fd_space sq = fd_grid(&a, 1, (int[]){ 9 }, NULL, NULL, 1);
    double flat[9], cf[9], sd = .5;
    for (int k = 0; k < 9; k++) flat[k] = 1. / 9, cf[k] = sd * sd / 9;
    fd_cov *white = fd_cov_table(&a, &sq, flat), *cw = fd_cov_table(&a, &sq, cf);
    fd_process ve = fd_ve(white, .002, 80);
    fd_precond *w = fd_precond_new(&a, &ve, NULL, cw);
    fd_model m0 = fd_precond_model(&a, w, (fd_model){ FD_X0, zero_eval, NULL, NULL, NULL, NULL });
    for (int j = 0; j < 5; j++) {
        double t = .1 + .2 * j, sg = sqrt(fd_law(&ve, t, 0).v), cin, cout;
        fd_precond_scale(w, t, &cin, &cout);
        NEAR(cin * sd * sd / (sg * sg + sd * sd), 1 / sqrt(sg * sg + sd * sd), 1e-12 * cin,
             "EDM c_in(%g)", sg);
        NEAR(cout, sg * sd / sqrt(sg * sg + sd * sd), 1e-12, "EDM c_out(%g)", sg);
        fd_predict(&m0, FD_X0, &ve, 1, xt, &t, y, a);
        NEAR(y[4], sd * sd / (sg * sg + sd * sd) * xt[4], 20 * EPS, "EDM c_skip(%g)", sg);
    }
}

/* A dense space: the weighted mean over points. */
static void check_precond_dense(fd_arena a)
{
    enum { Q = 4 };
    fd_real basis[Q] = { 1, 1, 1, 1 }, wt[Q] = { .1, .2, .3, .4 };
    fd_space dense = fd_dense(NULL, Q, 1, basis, wt, 1);
    fd_cov *dn = fd_cov_table(&a, &dense, (double[]){ 2 }),
        *dc = fd_cov_table(&a, &dense, (double[]){ 3 });
    fd_process dp = fd_driftless(dn, 5);
    double cin, cout;
    fd_precond_scale(fd_precond_new(&a, &dp, NULL, dc), 1.5, &cin, &cout);
    NEAR(1 / (cin * cin), 3 * 3. / 6, 1e-6, "dense: cin");
    NEAR(cout * cout, 3 * 3. / 6, 1e-6, "dense: cout");
}

static void check_precond(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { B = 2 };
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 7 }, (double[]){ 1, 2.385 }, mixed_bc, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .4, 1.5), *c0 = fd_cov_matern(&a, &s, .8, .7, 2.5);
    ptrdiff_t n = fd_size(&s);
    fd_real *mean = fd_new(&a, fd_real, n), *x0 = fd_new(&a, fd_real, B * n),
        *xt = fd_new(&a, fd_real, B * n);
    fd_real *y = fd_new(&a, fd_real, B * n), *in = fd_new(&a, fd_real, B * n),
        *z = fd_new(&a, fd_real, B * n);
    fd_process vp = fd_vp(noise, .1, 20), ht = heat(noise);
    fd_normal(fd_seed(61), n, mean);
    fd_cov_draw(c0, fd_seed(62), 0, B, x0, a);
    for (int k = 0; k < 2; k++) {
        const fd_process *p = k ? &ht : &vp;
        double t[B] = { .3 * p->tmax, .7 * p->tmax };
        fd_precond *w = fd_precond_new(&a, p, mean, c0);
        fd_model g = fd_oracle_gauss(&a, p, mean, c0);
        fd_model zero = { FD_V, zero_eval, NULL, NULL, NULL, NULL },
            flip = { FD_V, flip_eval, flip_vjp, NULL, NULL, NULL };
        fd_model m0 = fd_precond_model(&a, w, zero), m1 = fd_precond_model(&a, w, flip);
        OK(m0.predicts == FD_X0 && !m0.vjp && m1.vjp, "precond: model");
        fd_perturb(p, fd_seed(63), 0, B, x0, t, xt, NULL, a);
        fd_predict(&m0, FD_X0, p, B, xt, t, y, a);
        fd_predict(&g, FD_X0, p, B, xt, t, z, a);
        OK(!memcmp(y, z, (size_t)(B * n) * sizeof *y), "raw 0 is the Gaussian denoiser");
        check_scales(w, p, c0, t[0]);
        /* D = G + cout F(cin (G - mean)); pair and model agree: D - x0 = cout (F(in) - y) */
        fd_precond_pair(w, B, x0, xt, t, in, y, a);
        fd_real *F = fd_new(&a, fd_real, B * n), *D = fd_new(&a, fd_real, B * n);
        flip_eval(NULL, &s, B, in, t, F, a);
        fd_predict(&m1, FD_X0, p, B, xt, t, D, a);
        double worst = 0, cin, cout;
        for (int b = 0; b < B; b++) {
            fd_precond_scale(w, t[b], &cin, &cout);
            for (ptrdiff_t j = b * n; j < (b + 1) * n; j++) {
                worst = maxd(worst, fabs((double)D[j] - x0[j] - cout * ((double)F[j] - y[j])));
                worst = maxd(worst, fabs(in[j] - cin * (z[j] - mean[j % n])));
            }
        }
        NEAR(worst, 0, 60 * EPS, "pair and model");
        if (k == 0) check_vjp("precond", &m1, &s, a, 1e-2, TOL(1e-10, 3e-3));
    }
    check_precond_edm(a);
    check_precond_dense(a);
    OK(!st.code, "status");
    double none = 0;
    fd_precond *wv = fd_precond_new(&a, &vp, NULL, c0);
    fd_precond_pair(wv, 1, x0, xt, &none, in, y, a);
    OK(st.code == FD_EARG, "no target where v = 0");
    st.code = 0;
    fd_precond_model(&a, wv, (fd_model){ 0 });
    OK(st.code == FD_EARG, "an empty raw model");
}

static void check_predict(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ 7 }, NULL, NULL, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .4, 1.5), *c0 = fd_cov_matern(&a, &s, .8, .7, 2.5);
    fd_real x[28], y[28], z[28];
    fd_process p[PROCS];
    processes(&a, noise, p);
    fd_normal(fd_seed(71), 28, x);
    for (int i = 0; i < PROCS; i++) {
        double t[2] = { .31 * p[i].tmax, .12 * p[i].tmax };
        fd_model g = fd_oracle_gauss(&a, &p[i], NULL, c0);
        for (int kind = 0; kind < 5; kind++) {
            via v = { &p[i], g, kind };
            fd_model m = { kind, via_eval, NULL, NULL, &v, NULL };
            for (int want = 0; want < 5; want++) {
                fd_predict(&g, want, &p[i], 2, x, t, z, a);
                fd_predict(&m, want, &p[i], 2, x, t, y, a);
                NEAR(test_rel(28, y, z), 0, TOL(1e-10, 1e-3), "%s: %d by a model of %d",
                     proc_name[i], want, kind);
            }
        }
    }
    OK(!st.code, "status");
}

void test_models(void)
{
    check_convert();
    check_gauss();
    check_mix();
    check_mix_fine();
    check_data();
    check_precond();
    check_predict();
}

/* ---- samplers ---- */

typedef struct { double M, V; } moments;

/* One step of any scheme on one mode is affine: x' = A x + b + n xi. Probe it. */
static void probe(const fd_sampler *how, double t, double s, double *A, double *b, double *n,
                  fd_arena a)
{
    fd_real x[3] = { 0, 1, 0 }, xi = 1;
    fd_advance(how, t, s, 2, x, NULL, NULL, a);
    fd_advance(how, t, s, 1, x + 2, &xi, NULL, a);
    *b = x[0];
    *A = (double)x[1] - x[0];
    *n = (double)x[2] - x[0];
}

/* M is a value of the function, V the variance of its one coefficient. */
static moments law_of(const fd_sampler *how, moments w, fd_arena a)
{
    fd_real one = 1;
    fd_to_modes(&how->p->noise->s, 1, &one, &one, a);
    double M = w.M * (double)one;
    fd_exact_law(how, &M, &w.V, a);
    w.M = M / (double)one;
    return w;
}

/* The chain of DDPM, start N(0, lam). */
static void check_golden_chain(fd_arena a)
{
    double t[1001];
    for (int j = 0; j < 5; j++) {
        static const double row2[5][3] = { { .7, .25, .246680391959 }, { 1, 1, .991067376352824 },
                                           { 1, .01, -.072 }, { 1, .1, -.024 }, { 1, 4, -.0063 } };
        const double *r = row2[j];
        fd_cov *n1 = one_mode(&a, r[0]);
        fd_process dd = ddpm(&a, n1, 1000, 1e-4, .02);
        fd_times(&dd, FD_UNIFORM, 0, 1000, t, a.st);
        fd_sampler how = { .p = &dd, .t = t, .steps = 1000, .scheme = FD_ANCESTRAL };
        how.model = fd_oracle_gauss(&a, &dd, NULL, one_on(&a, n1, r[1]));
        moments w = law_of(&how, (moments){ 0, r[0] }, a);
        NEAR(r[2] > 0 ? w.V : w.V / r[1] - 1, r[2], r[2] > 0 ? TOL(1e-10, 2e-3) : 1e-3,
             "DDPM, c = %g", r[1]);
        how.scheme = FD_ANCESTRAL_OPTIMAL;
        fd_coef T = fd_law(&dd, 1000, 0);                   /* exact, from the exact start */
        w = law_of(&how, (moments){ 0, T.v * r[0] + T.m * T.m * r[1] }, a);
        NEAR(w.V, r[1], TOL(1e-10, 1e-3) * r[1], "DDPM, optimal variance, c = %g", r[1]);
    }
}

/* Driftless: r = 2, c = .3, mu = .8, T = 10, 50 steps; a point mass. */
static void check_golden_driftless(fd_arena a)
{
    double t[1001];
    static const struct { int rule; double tmin, M, V; } drift[] = {
        { FD_UNIFORM, .05, .784236453, .656261856 },
        { FD_GEOMETRIC, 1e-3, .788098522, .330833122 } };
    fd_cov *n2 = one_mode(&a, 2), *c2 = one_on(&a, n2, .3);
    fd_process dl = fd_driftless(n2, 10);
    fd_real mu2 = (fd_real).8;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            fd_sampler how = { .p = &dl, .t = t, .steps = 50 };
            how.scheme = k ? FD_VE_PREDICTOR : FD_EULER_MARUYAMA;
            how.model = fd_oracle_gauss(&a, &dl, &mu2, c2);
            dl.tmin = drift[i].tmin;
            fd_times(&dl, drift[i].rule, 0, 50, t, a.st);
            moments w = law_of(&how, (moments){ 0, 20 }, a);
            NEAR(w.M, drift[i].M, TOL(1e-9, 1e-4), "driftless, rule %d: mean", drift[i].rule);
            NEAR(w.V, drift[i].V, TOL(1e-9, 1e-4), "driftless, rule %d: variance", drift[i].rule);
        }
    /* a point mass: Var = r dT (sum 1/j^2 + 1/N), and exactly r dT with ancestral noise */
    static const double em[3] = { 1.639768, 1.644884, 1.644934 };
    for (int k = 0, N = 10; k < 3; k++, N *= 10) {
        fd_sampler how = { .p = &dl, .t = t, .steps = N - 1, .scheme = FD_EULER_MARUYAMA };
        how.model = fd_oracle_gauss(&a, &dl, NULL, one_on(&a, n2, 0));
        double sum = 1. / N;
        for (int j = 1; j < N; j++) sum += 1. / j / j;
        for (int i = 0; i < N; i++) t[i] = 10. * (N - i) / N;
        moments w = law_of(&how, (moments){ 0, 20 }, a);
        NEAR(w.V / (20. / N), sum, TOL(1e-10, 1e-3), "point mass, N = %d", N);
        NEAR(w.V / (20. / N), em[k], TOL(6e-7, 1e-3), "point mass, N = %d", N);
        how.scheme = FD_ANCESTRAL;
        w = law_of(&how, (moments){ 0, 20 }, a);
        NEAR(w.V / (20. / N), 1, TOL(1e-10, 1e-3), "point mass, ancestral, N = %d", N);
    }
}

static void check_golden(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    fd_real mu = (fd_real)1.3;
    double t[1001], tol = TOL(1e-10, 1e-4);
    fd_cov *noise = one_mode(&a, .7), *c0 = one_on(&a, noise, .25);
    fd_process vp = fd_vp(noise, .1, 20);
    fd_model m = fd_oracle_gauss(&a, &vp, &mu, c0);
    static const struct { int scheme; double eta, M, V; } row[] = {
        { FD_EULER_MARUYAMA, 0, 1.320293448629, .260081193658 },
        { FD_ETA_EULER, 1, 1.320293448629, .260081193658 },
        { FD_STOCHASTIC_HEUN, 0, 1.298816469957, .251576337819 },
        { FD_EXPONENTIAL, 0, 1.299921693383, .279407737666 },
        { FD_SEMI_ANALYTIC, 0, 1.299927325966, .217881424776 },
        { FD_ANCESTRAL, 0, 1.299908478311, .194237066789 },
        { FD_ANCESTRAL_LARGE, 0, 1.299908478311, .265332001204 },
        { FD_ANCESTRAL_OPTIMAL, 0, 1.299908478311, .250049474887 },
        { FD_DDIM, 0, 1.295128865980, .220949672113 },
        { FD_DDIM, 1, 1.299908478311, .194237066789 },
        { FD_PF_EULER, 0, 1.303130989732, .247511760728 },
        { FD_ETA_EULER, 0, 1.303130989732, .247511760728 },
        { FD_PF_HEUN, 0, 1.293925965399, .250536990153 },
        { FD_PF_RK4, 0, 1.294822576339, .250056203968 },
    };
    fd_times(&vp, FD_UNIFORM, 0, 40, t, &st);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fd_sampler how = { .p = &vp, .model = m, .t = t, .steps = 40, .scheme = row[i].scheme,
                           .eta = row[i].eta };
        moments w = law_of(&how, (moments){ 0, .7 }, a);
        NEAR(w.M, row[i].M, tol, "VP, %s: mean", fd_scheme_name(row[i].scheme));
        NEAR(w.V, row[i].V, tol, "VP, %s: variance", fd_scheme_name(row[i].scheme));
    }
    fd_real x[2] = { 0, 1 }, y[2];                          /* the exact law, then D */
    double te[2] = { 1e-3, 1e-3 };
    fd_predict(&m, FD_X0, &vp, 2, x, te, y, a);
    double A = (double)y[1] - y[0];
    NEAR(A * 1.299928534464 + y[0], 1.3, TOL(1e-11, 1e-5), "denoised mean");
    NEAR(A * A * .250049474780, .249923054458, TOL(1e-11, 1e-5), "denoised variance");

    check_golden_chain(a);
    fd_process fl = fd_flow(noise, 1e-4);
    fd_times(&fl, FD_UNIFORM, 0, 40, t, &st);
    static const struct { int scheme; double V; } flow[] = {
        { FD_PF_EULER, .233193251457 }, { FD_PF_HEUN, .250087989648 },
        { FD_PF_RK4, .250000010312 } };
    for (int i = 0; i < 3; i++) {
        fd_sampler how = { .p = &fl, .t = t, .steps = 40, .scheme = flow[i].scheme };
        how.model = fd_oracle_gauss(&a, &fl, &mu, c0);
        moments w = law_of(&how, (moments){ 0, .7 }, a);
        NEAR(w.M, 1.3, TOL(1e-10, 1e-5), "flow, %s: mean", fd_scheme_name(flow[i].scheme));
        NEAR(w.V, flow[i].V, TOL(1e-10, 1e-5), "flow, %s: variance",
             fd_scheme_name(flow[i].scheme));
    }
    check_golden_driftless(a);
    OK(!st.code, "status");
}

static double row_diff(fd_row x, fd_row y)
{
    return fabs(x.ax - y.ax) + fabs(x.aD - y.aD) + fabs(x.sd - y.sd) + fabs(x.gain - y.gain);
}

/* The exponential row of process i: G by 20000 midpoints; VP-like: 2 (1/k - 1). */
static void check_exponential(int i, const fd_process *p, double t, double s, fd_status *st)
{
    const fd_coef T = fd_law(p, t, 0), S = fd_law(p, s, 0);
    const double h = t - s, k = T.m / S.m, vts = T.v - k * k * S.v, q = T.dv - 2 * T.dm / T.m * T.v;
    double G = 0;
    int n = i == 7 ? (int)h * 8 : 20000;
    for (int l = 0; l < n; l++) {
        fd_coef c = fd_law(p, s + (l + .5) * h / n, 0);
        G += S.m / c.m * (c.dv - 2 * c.dm * c.v / c.m) * h / n;
    }
    fd_row ex = fd_step_row(p, FD_EXPONENTIAL, 0, t, s, 0, st);
    double got = (1 / k - ex.ax) * T.v;
    NEAR(got, G, (i == 7 ? 1e-6 : 1e-7) * maxd(1, 1 / k) * G, "%s G", proc_name[i]);
    NEAR(ex.aD, got * T.m / T.v, 1e-12 * maxd(1, ex.aD), "%s exponential: aD", proc_name[i]);
    NEAR(ex.sd, sqrt(vts) / k, 1e-12 * ex.sd, "%s exponential: sd", proc_name[i]);
    fd_row se = { 1 / k * (1 - h * q / T.v), 1 / k * h * q * T.m / T.v, sqrt(vts) / k, 0 };
    NEAR(row_diff(fd_step_row(p, FD_SEMI_ANALYTIC, 0, t, s, 0, st), se), 0,
         1e-12 * (fabs(se.ax) + se.aD + se.sd), "%s semi-analytic", proc_name[i]);
    if (i < 3 || i == 7)
        NEAR(got, 2 * (1 / k - 1), 1e-12 / k, "%s: closed form of G", proc_name[i]);
    if (i == 6) {         /* G = m_s int m d(v/m^2), v = (1 - (1 - smin) m)^2 */
        double aa = 1 - 1e-4;
        double F = S.m * (2 * aa * log(T.m / S.m) + 2 * (1 / T.m - 1 / S.m));
        NEAR(got, F, 1e-11 * F, "flow: closed form of G");
    }
}

/* A flow from m = 0 and to v = 0. */
static void check_rows_flow(const fd_cov *noise, fd_status *st)
{
    fd_process fl = fd_flow(noise, 0);
    static const struct { int scheme; double eta, t, s; int code; } row[] = {
        { FD_EULER_MARUYAMA, 0, 1, .9, FD_EARG }, { FD_ETA_EULER, .5, 1, .9, FD_EARG },
        { FD_ETA_EULER, 0, 1, .9, FD_OK }, { FD_PF_EULER, 0, 1, .9, FD_OK },
        { FD_EXPONENTIAL, 0, 1, .9, FD_EARG }, { FD_SEMI_ANALYTIC, 0, 1, .9, FD_EARG },
        { FD_ANCESTRAL, 0, 1, .9, FD_OK }, { FD_ANCESTRAL_LARGE, 0, 1, .9, FD_OK },
        { FD_DDIM, 0, 1, .9, FD_OK }, { FD_ANCESTRAL_OPTIMAL, 0, 1, .9, FD_OK },
        { FD_DDIM, 1, 1, .9, FD_OK }, { FD_DDIM, 3, .5, .4, FD_EARG },
        { FD_VE_PREDICTOR, 0, .5, .4, FD_EARG }, { FD_VP_PREDICTOR, 0, .5, .4, FD_EARG },
        { FD_PF_HEUN, 0, .5, .4, FD_EARG }, { FD_SCHEMES, 0, .5, .4, FD_EARG },
        { FD_ANCESTRAL, 0, .3, 0, FD_OK }, { FD_DDIM, 0, .3, 0, FD_OK },
        { FD_PF_EULER, 0, .3, 0, FD_OK }, { FD_EULER_MARUYAMA, 0, .3, 0, FD_OK },
        { FD_ANCESTRAL, 0, 0, -.1, FD_EARG },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        st->code = 0;
        fd_row r = fd_step_row(&fl, row[i].scheme, row[i].eta, row[i].t, row[i].s, 0, st);
        OK(st->code == row[i].code, "flow, %s from %g: code %d, %s", fd_scheme_name(row[i].scheme)
           ? fd_scheme_name(row[i].scheme) : "-", row[i].t, st->code, st->code ? st->what : "");
        OK(isfinite(r.ax + r.aD + r.sd), "finite");
        if (row[i].s == 0 && row[i].scheme != FD_EULER_MARUYAMA)
            NEAR(fabs(r.ax) + fabs(r.aD - 1) + r.sd, 0, 1e-14, "%s to v = 0 gives D",
                 fd_scheme_name(row[i].scheme));
    }
}

/* Rows of process i from t to s: identities between them, and the formulas written by hand. */
static void check_row(int i, const fd_process *p, double t, double s, fd_status *st)
{
    double h = t - s;
    if (i == 7) t = floor(t), s = floor(s), h = t - s;
    fd_coef T = fd_law(p, t, 0), S = fd_law(p, s, 0);
    double k = T.m / S.m, vts = T.v - k * k * S.v, av = -T.dm / T.m, q = T.dv + 2 * av * T.v;
    fd_row anc = fd_step_row(p, FD_ANCESTRAL, 0, t, s, 0, st);
    fd_row r = { k * S.v / T.v, S.m * vts / T.v, sqrt(S.v * vts / T.v), 0 };
    NEAR(row_diff(anc, r), 0, 1e-12, "%s ancestral", proc_name[i]);
    NEAR(row_diff(fd_step_row(p, FD_DDIM, 1, t, s, 0, st), anc), 0, 1e-11,
         "%s ddim(1) is ancestral", proc_name[i]);
    r.sd = sqrt(vts);
    NEAR(row_diff(fd_step_row(p, FD_ANCESTRAL_LARGE, 0, t, s, 0, st), r), 0, 1e-12, "large");
    r.sd = anc.sd, r.gain = r.aD;
    NEAR(row_diff(fd_step_row(p, FD_ANCESTRAL_OPTIMAL, 0, t, s, 0, st), r), 0, 1e-12, "optimal");
    fd_row em = { 1 + h * (av - q / T.v), h * q * T.m / T.v, sqrt(q * h), 0 };
    double size = fabs(em.ax) + em.aD + em.sd;
    NEAR(row_diff(fd_step_row(p, FD_EULER_MARUYAMA, 0, t, s, 0, st), em), 0,
         1e-12 * size, "%s euler-maruyama", proc_name[i]);
    fd_row pf = { 1 + h * (av - q / (2 * T.v)), h * q * T.m / (2 * T.v), 0, 0 };
    NEAR(row_diff(fd_step_row(p, FD_PF_EULER, 0, t, s, 0, st), pf), 0, 1e-12 * size,
         "%s pf-euler", proc_name[i]);
    double e = .6, f = 1 + e * e;
    fd_row et = { 1 + h * (av - f * q / (2 * T.v)), h * f * q * T.m / (2 * T.v),
                  e * sqrt(q * h), 0 };
    NEAR(row_diff(fd_step_row(p, FD_ETA_EULER, e, t, s, 0, st), et), 0, 1e-12 * size,
         "%s eta-euler", proc_name[i]);
    fd_row di = { sqrt((S.v - e * e * S.v * vts / T.v) / T.v), 0, e * anc.sd, 0 };
    di.aD = S.m - T.m * di.ax;
    NEAR(row_diff(fd_step_row(p, FD_DDIM, e, t, s, 0, st), di), 0, 1e-12, "%s ddim", proc_name[i]);
    check_exponential(i, p, t, s, st);
    if (i == 0 || i == 1 || i == 2 || i == 7) {
        double bk = 2 * av * h;
        if (bk > 1) return;
        fd_row sv = { 2 - sqrt(1 - bk) - bk / T.v, bk * T.m / T.v, sqrt(bk), 0 };
        NEAR(row_diff(fd_step_row(p, FD_VP_PREDICTOR, 0, t, s, 0, st), sv), 0, 1e-12,
             "VP predictor");
    }
}

static void check_rows(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *noise = one_mode(&a, .7);
    fd_process p[PROCS];
    processes(&a, noise, p);
    for (int i = 0; i < PROCS; i++)
        for (int j = 1; j < 5; j++)
            check_row(i, &p[i], p[i].tmax * (.17 * j + .1), p[i].tmax * (.17 * j - .05), &st);
    OK(!st.code, "status");
    /* driftless: EM and ancestral share the mean, the VE predictor is EM */
    double t = 2.385, s = .7;
    fd_row em = fd_step_row(&p[5], FD_EULER_MARUYAMA, 0, t, s, 0, &st);
    fd_row an = fd_step_row(&p[5], FD_ANCESTRAL, 0, t, s, 0, &st);
    fd_row want = { s / t, (t - s) / t, sqrt(t - s), 0 };
    NEAR(row_diff(em, want), 0, 1e-14, "driftless EM");
    NEAR(row_diff(fd_step_row(&p[5], FD_VE_PREDICTOR, 0, t, s, 0, &st), em), 0, 1e-14,
         "VE predictor");
    OK(em.ax == an.ax && em.aD == an.aD, "EM and ancestral share the mean");
    NEAR(an.sd * an.sd, (t - s) * s / t, 1e-14, "driftless ancestral: variance");
    /* [KER]: (u - beta e/sqrt(1 - gamma))/sqrt(1 - beta), e = (u - sqrt gamma D)/sqrt(1 - gamma) */
    double beta = 1e-4 + (.02 - 1e-4) * 299 / 999;
    fd_coef T = fd_law(&p[7], 300, 0), S = fd_law(&p[7], 299, 0);
    want = (fd_row){ (1 - beta / T.v) / sqrt(1 - beta), beta * T.m / T.v / sqrt(1 - beta),
                     sqrt(beta * S.v / T.v), 0 };
    NEAR(row_diff(fd_step_row(&p[7], FD_ANCESTRAL, 0, 300, 299, 0, &st), want), 0, 1e-13,
         "KER's update");
    want = fd_step_row(&p[7], FD_ANCESTRAL, 0, 1, 0, 0, &st);
    OK(want.sd == 0 && want.ax == 0, "its last step is noiseless");
    NEAR(want.aD, 1, 1e-12, "and returns D");
    check_rows_flow(noise, &st);
    st.code = 0;
    fd_step_row(&p[1], FD_VP_PREDICTOR, 0, 1, .5, 0, &st);
    char text[200];
    fd_explain(&st, text, sizeof text);
    OK(!strcmp(text, "fd_step_row: beta_k = 2 a h > 1: the step is too long"), "explained as '%s'",
       text);
    for (int i = 0; i < FD_SCHEMES; i++)
        for (int j = 0; j < i; j++)
            OK(strcmp(fd_scheme_name(i), fd_scheme_name(j)), "names differ");
    OK(!fd_scheme_name(FD_SCHEMES) && !fd_scheme_name(-1), "no name");
    OK(!strcmp(fd_scheme_name(FD_EULER_MARUYAMA), "euler-maruyama")
       && !strcmp(fd_scheme_name(FD_PF_HEUN), "pf-heun"), "names");
}

/* With D frozen (a point mass), DDIM(0) is the flow and ancestral the reverse SDE, exactly: one
 * step of them against many of a scheme that knows neither. */
static void check_frozen(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    enum { N = 1600 };
    fd_real mu = (fd_real)1.3;
    double t[N + 1], A, b, n;
    fd_cov *noise = one_mode(&a, .7), *zero = one_on(&a, noise, 0);
    fd_process p[PROCS];
    processes(&a, noise, p);
    for (int i = 0; i < PROCS && EPS < 1e-10; i++) {
        if (i == 4 || i == 7) continue;                     /* 17 decades; and a law with kinks */
        fd_sampler how = { .p = &p[i], .t = t, .steps = N, .scheme = FD_PF_RK4 };
        how.model = fd_oracle_gauss(&a, &p[i], &mu, zero);
        p[i].tmax *= .8, p[i].tmin = .25 * p[i].tmax;
        fd_times(&p[i], FD_UNIFORM, 0, N, t, &st);
        fd_row one = fd_step_row(&p[i], FD_DDIM, 0, t[0], t[N], 0, &st);
        moments w = { 1, 0 };                               /* from x = 1 */
        for (int k = 0; k < N; k++) {
            probe(&how, t[k], t[k + 1], &A, &b, &n, a);
            w.M = A * w.M + b;
        }
        NEAR(one.ax + one.aD * mu, w.M, 1e-9, "%s: DDIM with D frozen", proc_name[i]);
        one = fd_step_row(&p[i], FD_ANCESTRAL, 0, t[0], t[N], 0, &st);
        how.scheme = FD_STOCHASTIC_HEUN;
        w = law_of(&how, (moments){ 1, 0 }, a);
        NEAR(one.ax + one.aD * mu, w.M, 2e-4, "%s: ancestral with D frozen, mean", proc_name[i]);
        NEAR(one.sd * one.sd * .7 / w.V, 1, 2e-4, "%s: variance", proc_name[i]);
    }
    OK(!st.code, "status");
}

/* Optimal variance: exact in five steps, and for modal processes too. */
static void check_optimal(const fd_process *p, const fd_real *mu, const fd_cov *c0, fd_arena a)
{
    const double lam = p->noise->lam[0], c = c0->lam[0];
    double t[6];
    fd_sampler how = { .p = p, .t = t, .steps = 5, .scheme = FD_ANCESTRAL_OPTIMAL };
    fd_coef T = fd_law(p, p->tmax, 0), S = fd_law(p, p->tmin, 0);
    how.model = fd_oracle_gauss(&a, p, mu, c0);
    fd_times(p, FD_UNIFORM, 0, 5, t, a.st);
    moments w = law_of(&how, (moments){ T.m * *mu, T.m * T.m * c + T.v * lam }, a);
    NEAR(w.M, S.m * *mu, TOL(1e-13, 1e-6), "optimal: mean");
    NEAR(w.V, S.m * S.m * c + S.v * lam, TOL(1e-13, 1e-6), "optimal: variance");
}

/* orders of convergence; the path is the exact flow, the law the exact law */
static void check_orders(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { VP, FLOW, HEAT };
    static const struct { int proc, scheme; double order, tol; int n; } row[] = {
        { VP, FD_PF_EULER, 1, .1, 320 }, { VP, FD_DDIM, 1, .1, 80 }, { VP, FD_PF_HEUN, 2, .15, 80 },
        { VP, FD_PF_MIDPOINT, 2, .15, 80 }, { VP, FD_PF_RK4, 4, .3, 80 },
        { FLOW, FD_PF_MIDPOINT, 3, .15, 40 }, { FLOW, FD_PF_HEUN, 2, .15, 40 },
        { FLOW, FD_PF_RK4, 4, .3, 40 }, { HEAT, FD_PF_HEUN, 2, .15, 80 },
        { HEAT, FD_PF_RK4, 4, .3, 40 }, { HEAT, FD_DDIM, 1, .1, 80 },
        { VP, FD_EULER_MARUYAMA, 1, .15, 160 }, { VP, FD_EXPONENTIAL, 1, .15, 160 },
        { VP, FD_SEMI_ANALYTIC, 1, .15, 160 }, { HEAT, FD_SEMI_ANALYTIC, 1, .15, 160 },
        { VP, FD_ANCESTRAL, 1, .15, 160 }, { VP, FD_ANCESTRAL_LARGE, 1, .2, 160 },
        { VP, FD_STOCHASTIC_HEUN, 2, .2, 160 },
        { HEAT, FD_STOCHASTIC_HEUN, 2, .2, 160 }, { HEAT, FD_EULER_MARUYAMA, 1, .15, 160 },
    };
    fd_real mu = (fd_real)1.3;
    double lam = .7, c = .25, t[641];
    fd_cov *noise = one_mode(&a, lam), *c0 = one_on(&a, noise, c);
    fd_process p[3] = { fd_vp(noise, .1, 20), fd_flow(noise, 1e-4), heat(noise) };
    p[0].tmin = .05;
    p[2].tmax = .9, p[2].tmin = .02, p[2].prm[1] = 3.1;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const fd_process *q = &p[row[i].proc];
        fd_coef T = fd_law(q, q->tmax, 0), S = fd_law(q, q->tmin, 0);
        double PT = T.m * T.m * c + T.v * lam, PS = S.m * S.m * c + S.v * lam, err[2], X = -.9;
        int path = row[i].scheme == FD_DDIM || row[i].scheme == FD_PF_EULER
                || (row[i].scheme >= FD_PF_HEUN && row[i].scheme <= FD_PF_RK4);
        if (EPS > 1e-10 && row[i].order > 1.5) continue;    /* float: below rounding */
        for (int k = 0; k < 2; k++) {
            int n = row[i].n << k;
            fd_sampler how = { .p = q, .t = t, .steps = n, .scheme = row[i].scheme };
            how.model = fd_oracle_gauss(&a, q, &mu, c0);
            fd_times(q, FD_UNIFORM, 0, n, t, &st);
            if (path) {
                fd_real x = (fd_real)X;
                for (int j = 0; j < n; j++) fd_advance(&how, t[j], t[j + 1], 1, &x, NULL, NULL, a);
                err[k] = fabs(x - (S.m * mu + sqrt(PS / PT) * (X - T.m * mu)));
            } else {
                moments w = law_of(&how, (moments){ T.m * mu, PT }, a);
                err[k] = fabs(w.V - PS);
                if (row[i].scheme == FD_ANCESTRAL)
                    NEAR(w.M, S.m * mu, TOL(1e-12, 1e-5), "ancestral: exact mean");
                if (row[i].scheme == FD_EXPONENTIAL)
                    NEAR(w.M, S.m * mu, TOL(1e-12, 1e-5), "exponential: exact mean");
            }
        }
        NEAR(log2(err[0] / err[1]), row[i].order, row[i].tol + TOL(0, .1),
             "%s on process %d: order (errors %.3g, %.3g)",
             fd_scheme_name(row[i].scheme), row[i].proc, err[0], err[1]);
    }
    for (int k = 0; k < 3; k++) check_optimal(&p[k], &mu, c0, a);
    OK(!st.code, "status");
}

/* Chains have kinks at whole t. The flow and the law are known at all t, and the error falls with
 * the order of the scheme: over several whole steps of a long chain, over one step and its parts on
 * a short one. */
static void check_chain_orders(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    static const struct { int scheme; double order; } row[] = {
        { FD_PF_HEUN, 2 }, { FD_PF_MIDPOINT, 2 }, { FD_PF_RK4, 4 }, { FD_STOCHASTIC_HEUN, 2 } };
    static const struct { int T; double from, beta1, betaT, step[3]; } chain[] = {
        { 960, 96, 1e-4, .01, { 24, 12, 6 } }, { 48, 6, 2e-3, .2, { 1, .5, .25 } } };
    fd_real mu = (fd_real)1.3;
    double lam = .7, c = .25, beta[960], t[200], X = -.9;
    fd_space s = fd_grid(&a, 1, (int[]){ 1 }, NULL, (int[]){ FD_DIRICHLET }, 1);  /* mu = pi^2 */
    fd_cov *noise = fd_cov_table(&a, &s, &lam), *c0 = one_on(&a, noise, c);
    for (int l = 0; l < 2 && EPS < 1e-10; l++) {
        int T = chain[l].T;
        fd_beta_schedule(FD_BETA_LINEAR, T, chain[l].beta1, chain[l].betaT, beta, &st);
        fd_process plain = fd_ddpm_betas(&a, noise, T, beta);
        fd_process p[3] = { plain, fd_blur(&plain, .1, .1), fd_blur(&plain, .1, .2) };
        for (int k = 0; k < 2 + l; k++)  /* the last one has kinks in either clock */
            for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
                double err[3];
                fd_coef B = fd_law(&p[k], T, 0), E = fd_law(&p[k], chain[l].from, 0);
                double PB = B.m * B.m * c + B.v * lam, PE = E.m * E.m * c + E.v * lam;
                for (int j = 0; j < 3; j++) {
                    int n = (int)((T - chain[l].from) / chain[l].step[j]);
                    fd_sampler how = { .p = &p[k], .t = t, .steps = n, .scheme = row[i].scheme };
                    how.model = fd_oracle_gauss(&a, &p[k], &mu, c0);
                    for (int q = 0; q <= n; q++) t[q] = T - q * chain[l].step[j];
                    moments w = law_of(&how, (moments){ X, PB }, a);
                    err[j] = i == 3 ? fabs(w.V - PE)
                           : fabs(w.M - E.m * mu - sqrt(PE / PB) * (X - B.m * mu));
                }
                for (int j = 0; j < 2; j++)
                    NEAR(log2(err[j] / err[j + 1]), row[i].order, .15,
                         "chain of %d, blurred %d, %s: order, steps of %g and %g (%.3g, %.3g)", T,
                         k, fd_scheme_name(row[i].scheme), chain[l].step[j], chain[l].step[j + 1],
                         err[j], err[j + 1]);
            }
    }
    OK(!st.code, "status");
}

static double mix_cdf(double x, const fd_coef f)
{
    double P1 = f.m * f.m * .1 + f.v, P2 = f.m * f.m * .2 + f.v;
    return .15 * erfc(-(x + 1.5 * f.m) / sqrt(2 * P1)) + .35 * erfc(-(x - f.m) / sqrt(2 * P2));
}

/* the mixture .3 N(-1.5, .1) + .7 N(1, .2) */
static void check_mixture(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    fd_cov *one = one_mode(&a, 1);
    fd_process vp = fd_vp(one, .1, 20), fl = fd_flow(one, 1e-4);
    const fd_cov *c[2] = { one_on(&a, one, .1), one_on(&a, one, .2) };
    fd_real mu[2] = { -1.5, 1 }, x[4] = { (fd_real)-1.2, (fd_real)-.3, (fd_real).1, (fd_real).9 },
        y[4];
    static const double want[4] = { -1.594482190292, .466168249257, .817492971291, 1.282813036302 };
    double *t = fd_new(&a, double, 2001);
    fd_sampler how = { .p = &vp, .t = t, .steps = 2000, .scheme = FD_PF_RK4 };
    how.model = fd_oracle_mix(&a, &vp, 2, (double[]){ .3, .7 }, mu, c);
    fd_times(&vp, FD_UNIFORM, 0, how.steps, t, &st);
    memcpy(y, x, sizeof y);
    for (int k = 0; k < how.steps; k++) fd_advance(&how, t[k], t[k + 1], 4, y, NULL, NULL, a);
    for (int i = 0; i < 4; i++) {
        NEAR(y[i], want[i], TOL(3e-11, 2e-3), "quantile map of %g", x[i]);
        NEAR(mix_cdf(y[i], fd_law(&vp, 1e-3, 0)), mix_cdf(x[i], fd_law(&vp, 1, 0)),
             TOL(3e-11, 1e-3), "cdf");
    }
    how.p = &fl, how.steps = 400;                           /* the same for the flow, from m = 0 */
    how.model = fd_oracle_mix(&a, &fl, 2, (double[]){ .3, .7 }, mu, c);
    fd_times(&fl, FD_UNIFORM, 0, how.steps, t, &st);
    memcpy(y, x, sizeof y);
    for (int k = 0; k < how.steps; k++) fd_advance(&how, t[k], t[k + 1], 4, y, NULL, NULL, a);
    for (int i = 0; i < 4; i++)
        NEAR(mix_cdf(y[i], fd_law(&fl, 0, 0)), mix_cdf(x[i], fd_law(&fl, 1, 0)), TOL(1e-8, 1e-4),
             "flow: cdf");

    /* the density of 40 steps of Euler-Maruyama, by its one-step kernel */
    enum { N = 1001 };
    double h = 16. / (N - 1), *p = fd_new(&a, double, N), *q = fd_new(&a, double, N), m1 = 0,
        m2 = 0, neg = 0;
    fd_real *z = fd_new(&a, fd_real, N);
    how.p = &vp, how.steps = 40, how.scheme = FD_EULER_MARUYAMA;
    how.model = fd_oracle_mix(&a, &vp, 2, (double[]){ .3, .7 }, mu, c);
    fd_times(&vp, FD_UNIFORM, 0, 40, t, &st);
    for (int i = 0; i < N; i++) p[i] = exp(-.5 * pow(-8 + h * i, 2)) / sqrt(2 * PI);
    for (int k = 0; k < 40; k++) {
        double sd = fd_step_row(&vp, FD_EULER_MARUYAMA, 0, t[k], t[k + 1], 0, &st).sd;
        for (int i = 0; i < N; i++) z[i] = (fd_real)(-8 + h * i);
        fd_advance(&how, t[k], t[k + 1], N, z, NULL, NULL, a);
        memset(q, 0, N * sizeof *q);
        m1 = m2 = neg = 0;
        for (int i = 0; i < N; i++) {
            int lo = (int)ceil((z[i] - 9 * sd + 8) / h), hi = (int)floor((z[i] + 9 * sd + 8) / h);
            if (p[i] < 1e-18) continue;
            for (int j = lo < 0 ? 0 : lo; j <= hi && j < N; j++) {
                double d = (-8 + h * j - z[i]) / sd;
                q[j] += p[i] * exp(-.5 * d * d) / sd / sqrt(2 * PI) * h;
            }
            m1 += h * p[i] * z[i];
            m2 += h * p[i] * ((double)z[i] * z[i] + sd * sd);
            neg += h * p[i] * .5 * erfc(z[i] / sd / sqrt(2));
        }
        memcpy(p, q, N * sizeof *p);
    }
    NEAR(m1, .246322563, TOL(2e-9, 1e-4), "EM on the mixture: mean");
    NEAR(m2 - m1 * m1, 1.502976133, TOL(2e-9, 1e-4), "EM on the mixture: variance");
    NEAR(neg, .313972179, TOL(2e-9, 1e-4), "EM on the mixture: P(X < 0)");
    OK(!st.code, "status");
}

/* common modes of samples on two grids */
static void check_grids(void)
{
    fd_status st;
    fd_arena all = test_arena(8 << 20, &st);
    enum { STEPS = 8, B = 2, CH = 2 };
    static const struct { int bc, n, big, cov; } grid[] = {
        { FD_PERIODIC, 8, 16, 0 }, { FD_PERIODIC, 9, 16, 1 }, { FD_PERIODIC, 8, 15, 2 },
        { FD_PERIODIC, 7, 21, 0 }, { FD_NEUMANN, 7, 14, 0 }, { FD_NEUMANN, 6, 13, 1 },
        { FD_DIRICHLET, 7, 15, 3 }, { FD_MIXED, 6, 12, 4 } };
    double t[STEPS + 1], worst = 0;
    for (size_t g = 0; g < sizeof grid / sizeof *grid; g++)
        for (int scheme = 0; scheme < FD_SCHEMES; scheme++)
            for (int proc = 0; proc < 4; proc++) {
                fd_arena a = all;
                fd_real *u[2], *mean = NULL;
                fd_space sp[2];
                int ve = scheme == FD_VE_PREDICTOR;
                if (scheme == FD_PF_ADAPTIVE || scheme == FD_ANNEALED) continue;
                if (ve ? proc != 1 && proc != 2 : scheme == FD_VP_PREDICTOR && proc != 0) continue;
                for (int k = 0; k < 2; k++) {
                    int n = k ? grid[g].big : grid[g].n;
                    sp[k] = fd_grid(&a, 1, &n, NULL, &grid[g].bc, CH);
                    fd_space *s = &sp[k];
                    fd_cov *noise = grid[g].cov == 0 ? fd_cov_matern(&a, s, 1, .3, 1.5)
                                  : grid[g].cov == 1 ? fd_cov_power(&a, s, 300, 5, 2)
                                  : grid[g].cov == 2 ? fd_cov_rbf(&a, s, 1, .2)
                                  : grid[g].cov == 3 ? fd_cov_bridge(&a, s, 2)
                                      : fd_cov_brownian(&a, s, 2);
                    fd_cov *data = fd_cov_matern(&a, s, .7, .5, 2.5);
                    fd_process p = proc == 0 ? fd_vp(noise, .1, 8) : proc == 1 ? fd_ve(noise, .1, 9)
                                 : proc == 2 ? fd_driftless(noise, 3) : heat(noise);
                    p.tmin = proc == 3 ? 2e-4 : .05;
                    if (proc == 3) p.tmax = 2e-3;
                    fd_times(&p, FD_UNIFORM, 0, STEPS, t, &st);
                    fd_real *mk = fd_new(&a, fd_real, fd_size(s));
                    if (k == 0) fd_cov_draw(data, fd_seed(81), 0, 1, mk, a);
                    else fd_resample(&sp[0], s, 1, mean, mk, a);
                    mean = mk;
                    fd_sampler how = { .p = &p, .t = t, .steps = STEPS, .scheme = scheme,
                                       .eta = .4, .denoise = 1 };
                    how.model = fd_oracle_gauss(&a, &p, mk, data);
                    u[k] = fd_new(&a, fd_real, B * fd_size(s));
                    fd_sample(&how, fd_seed(82), 3, B, u[k], a);
                    fd_to_modes(s, B, u[k], u[k], a);
                }
                fd_real *w = fd_new(&a, fd_real, B * fd_size(&sp[0])),
                    *z = fd_new(&a, fd_real, B * fd_size(&sp[0]));
                fd_modes_between(&sp[1], &sp[0], B, u[1], w);
                fd_modes_between(&sp[0], &sp[0], B, u[0], z);
                if (st.code) {
                    OK(0, "grid %d, %s, process %d: %s: %s", (int)g, fd_scheme_name(scheme), proc,
                       st.where, st.what);
                    return;
                }
                double r = test_rel(B * fd_size(&sp[0]), w, z);
                NEAR(r, 0, TOL(1e-12, 1e-4), "grid %d, %s, process %d", (int)g,
                     fd_scheme_name(scheme), proc);
                worst = maxd(worst, r);
            }
    OK(worst > 0 && !st.code, "something was computed");
}

static void nan_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y,
                     fd_arena scratch)
{
    (void)x, (void)scratch;
    for (ptrdiff_t i = 0; i < b * fd_size(s); i++)
        y[i] = t[0] < *(const double *)self ? (fd_real)NAN : 0;
}

/* Batches, threads: the same bits. */
static void check_batches(fd_arena a)
{
    enum { STEPS = 4, B = 20, N = 64 * 64 };
    static const int bc[2] = { FD_NEUMANN, FD_PERIODIC };
    fd_space s = fd_grid(&a, 2, (int[]){ 64, 64 }, NULL, bc, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5), *data = fd_cov_matern(&a, &s, 1, .2, 2.5);
    fd_real *x = fd_new(&a, fd_real, B * N), *y = fd_new(&a, fd_real, B * N);
    double t[STEPS + 1];
    for (int k = 0; k < 4; k++) {
        fd_process p = k < 2 ? fd_vp(noise, .1, 20) : heat(noise);
        fd_sampler how = { .p = &p, .t = t, .steps = STEPS,
                           .scheme = k % 2 ? FD_ANCESTRAL_OPTIMAL : FD_STOCHASTIC_HEUN };
        if (k >= 2) p.tmax = 1e-4, p.tmin = 1e-5;
        fd_times(&p, FD_UNIFORM, 0, STEPS, t, a.st);
        how.model = fd_oracle_gauss(&a, &p, NULL, data);
        if (k == 1) {
            fd_real *pts = fd_new(&a, fd_real, 3 * N);
            fd_cov_draw(data, fd_seed(90), 0, 3, pts, a);
            how.model = fd_oracle_data(&a, &p, 3, pts);
        }
        fd_sample(&how, fd_seed(91), 5, B, x, a);
#ifdef _OPENMP
        int threads = omp_get_max_threads();
        omp_set_num_threads(1);
#endif
        fd_sample(&how, fd_seed(91), 5, 3, y, a);
        fd_sample(&how, fd_seed(91), 8, B - 3, y + 3 * N, a);
#ifdef _OPENMP
        omp_set_num_threads(threads);
#endif
        OK(!memcmp(x, y, (size_t)(B * N) * sizeof *x), "batches and threads, case %d: %g", k,
           test_maxdiff(B * N, x, y));
    }
}

/* Errors of the loop. */
static void check_loop_wrong(fd_sampler how, fd_arena a)
{
    fd_run *run;
    fd_real x0[18] = { 0 };
    fd_sampler h2;
    double flat[2] = { .5, .5 }, up[2] = { NAN, .5 };
#define BAD(change, why) (h2 = how, (void)(change), a.st->code = 0, \
        run = fd_begin(&a, &h2, fd_seed(1), 0, 1), \
        OK(!run && a.st->code == FD_EARG, "%s: code %d", why, a.st->code))
    BAD(h2.steps = 0, "no steps");
    BAD(h2.scheme = FD_SCHEMES, "no such scheme");
    BAD((h2.t = flat, h2.steps = 1), "equal times");
    BAD((h2.t = up, h2.steps = 1), "NaN times");
    BAD(h2.model.eval = NULL, "no model");
    BAD((h2.scheme = FD_ANCESTRAL_OPTIMAL, h2.model.var = NULL), "a model without variance");
    fd_process bad = fd_vp(NULL, .1, 20);
    BAD(h2.p = &bad, "a process without noise");
#undef BAD
    a.st->code = 0;
    OK(!fd_step(NULL, a) && !a.st->code, "a run that failed");
    fd_advance(&how, .3, .5, 1, x0, NULL, NULL, a);
    OK(a.st->code == FD_EARG, "times that rise");
}

/* A scheme that does not exist at m = 0 fails in the first step, and x stays; all others run. */
static void check_loop_flow(fd_sampler how, const fd_space *l, const fd_cov *ln, fd_arena a)
{
    double t[5];
    fd_real x[18], x0[18];
    fd_sampler h2;
    fd_process fl = fd_flow(ln, 1e-4);
    fd_times(&fl, FD_UNIFORM, 0, 4, t, a.st);
    h2 = how, h2.p = &fl, h2.scheme = FD_EULER_MARUYAMA, a.st->code = 0;
    h2.model = fd_oracle_gauss(&a, &fl, NULL, ln);
    fd_run *run = fd_begin(&a, &h2, fd_seed(94), 0, 1);
    memcpy(x0, run->x, sizeof x0);
    OK(!fd_step(run, a) && a.st->code == FD_EARG && run->k == 0 && !memcmp(x0, run->x, sizeof x0),
       "EM from m = 0");
    memset(x, 0, sizeof x);
    a.st->code = 0;
    fd_sample(&h2, fd_seed(94), 0, 1, x, a);
    OK(a.st->code == FD_EARG && x[3] == 0, "fd_sample leaves x alone");
    /* every other scheme runs a flow from m = 0 to v = 0 */
    fd_process f0 = fd_flow(ln, 0);
    h2.p = &f0;
    a.st->code = 0;
    h2.model = fd_oracle_gauss(&a, &f0, NULL, fd_cov_matern(&a, l, 1, .2, 2.5));
    for (int k = 0; k < FD_SCHEMES; k++) {
        if (k == FD_EULER_MARUYAMA || k == FD_EXPONENTIAL || k == FD_SEMI_ANALYTIC
            || k == FD_VE_PREDICTOR || k == FD_VP_PREDICTOR
            || k == FD_STOCHASTIC_HEUN || k == FD_PF_ADAPTIVE || k == FD_ANNEALED) continue;
        h2.scheme = k, h2.eta = 0;
        fd_sample(&h2, fd_seed(95), 0, 1, x, a);
        OK(!a.st->code && isfinite(x[3]), "flow from m = 0 to v = 0, %s: %s", fd_scheme_name(k),
           a.st->code ? a.st->what : "");
        a.st->code = 0;
    }
    /* stochastic Heun to v = 0 ends with Euler-Maruyama */
    fd_sampler sh = h2;
    fd_real u0[18], u1[18];
    fd_normal(fd_seed(96), 18, u0);
    memcpy(u1, u0, sizeof u0);
    sh.scheme = FD_STOCHASTIC_HEUN;
    fd_advance(&sh, .2, 0, 1, u0, x0, NULL, a);
    sh.scheme = FD_EULER_MARUYAMA;
    fd_advance(&sh, .2, 0, 1, u1, x0, NULL, a);
    OK(!a.st->code && !memcmp(u0, u1, sizeof u0), "stochastic Heun to v = 0");
}

static void check_loop(void)
{
    fd_status st;
    fd_arena a = test_arena(64 << 20, &st);
    enum { STEPS = 4 };
    double t[STEPS + 1];
    check_batches(a);
    OK(!st.code, "status: %s %s", st.where ? st.where : "", st.what ? st.what : "");

    /* the loop by hand is fd_sample; x may be changed between steps; d is the last D */
    fd_space l = fd_grid(&a, 1, (int[]){ 9 }, NULL, NULL, 2);
    fd_cov *ln = fd_cov_matern(&a, &l, 1, .3, 1.5);
    fd_process p = fd_vp(ln, .1, 20);
    fd_sampler how = { .p = &p, .t = t, .steps = STEPS, .scheme = FD_ANCESTRAL, .denoise = 1 };
    fd_real x0[18], D[18], xi[18];
    how.model = fd_oracle_gauss(&a, &p, NULL, fd_cov_matern(&a, &l, 1, .2, 2.5));
    fd_times(&p, FD_UNIFORM, 0, STEPS, t, &st);
    fd_run *run = fd_begin(&a, &how, fd_seed(92), 7, 1);
    fd_cov_draw(ln, fd_seed(92), 7, 1, x0, a);
    for (int i = 0; i < 18; i++) x0[i] *= (fd_real)sqrt(fd_law(&p, 1, 0).v);
    OK(run && !memcmp(run->x, x0, sizeof x0), "the start is draw first + i, times s(tmax)");
    int count = 1;
    while (fd_step(run, a)) count++;
    OK(count == STEPS && run->k == STEPS && !fd_step(run, a), "steps");
    for (int k = 0; k < STEPS; k++) {
        fd_cov_draw(ln, fd_stream(fd_seed(92), 's', (uint32_t)k + 1), 7, 1, xi, a);
        fd_advance(&how, t[k], t[k + 1], 1, x0, xi, D, a);
    }
    fd_predict(&how.model, FD_X0, &p, 1, x0, &t[STEPS], D, a);
    OK(!memcmp(run->x, D, sizeof D) && !memcmp(run->d, D, sizeof D), "the loop, and the last D");

    /* NaN: recorded, and the state is the last good one */
    double from = .6;
    how.model = (fd_model){ FD_X0, nan_eval, NULL, NULL, &from, NULL };
    run = fd_begin(&a, &how, fd_seed(93), 0, 1);
    OK(fd_step(run, a) && fd_step(run, a), "two good steps");
    memcpy(x0, run->x, sizeof x0);
    OK(!fd_step(run, a) && st.code == FD_ENAN && run->k == 2, "a step to NaN");
    OK(!memcmp(run->x, x0, sizeof x0), "the last good state");
    char text[200];
    fd_explain(&st, text, sizeof text);
    OK(!strcmp(text, "fd_step: the state is not finite after step: 3"), "explained as '%s'", text);
    OK(!fd_begin(&a, &how, fd_seed(93), 0, 1), "nothing begins after a failure");
    st.code = 0;
    run->x[5] = INFINITY;                                   /* put in from outside */
    from = -1;
    OK(!fd_step(run, a) && st.code == FD_ENAN, "infinity");

    st.code = 0;
    how.model = fd_oracle_gauss(&a, &p, NULL, ln);
    check_loop_wrong(how, a);
    st.code = 0;
    check_loop_flow(how, &l, ln, a);
}

/* stochastic Heun against its definition, with its noise: dB = sqrt(int q) xi twice */
static void check_heun(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_real mu = (fd_real)1.3;
    double lam = .7, c = .25;
    fd_cov *noise = one_mode(&a, lam), *c0 = one_on(&a, noise, c);
    fd_process p[PROCS];
    processes(&a, noise, p);
    for (int i = 0; i < PROCS; i++) {
        double t = .53 * p[i].tmax, s = .41 * p[i].tmax, L[2], be[2], Q = 0, tt[2] = { t, s },
            h = t - s;
        if (i == 7) t = tt[0] = 530, s = tt[1] = 410, h = 120;
        fd_sampler how = { .p = &p[i], .scheme = FD_STOCHASTIC_HEUN };
        how.model = fd_oracle_gauss(&a, &p[i], &mu, c0);
        for (int k = 0; k < 2; k++) {                       /* L = a - q/P, beta = q m mu/P */
            fd_coef f = fd_law(&p[i], tt[k], 0);
            if (i == 7) {                                   /* a chain: in log gamma */
                double slope = 2 * log(fd_law(&p[i], s, 0).m / fd_law(&p[i], t, 0).m) / h;
                f.dm = -.5 * slope * f.m, f.dv = slope * f.m * f.m;
            }
            double q = (f.dv - 2 * f.dm * f.v / f.m) * lam, P = f.m * f.m * c + f.v * lam;
            L[k] = -f.dm / f.m - q / P, be[k] = q * f.m * mu / P;
        }
        int n = i == 7 ? 1200 : 20000;
        for (int k = 0; k < n; k++) {
            fd_coef f = fd_law(&p[i], s + (k + .5) * h / n, 0);
            Q += (f.dv - 2 * f.dm * f.v / f.m) * h / n;
        }
        double A, b, sd, A1 = 1 + .5 * h * (L[0] + L[1] * (1 + h * L[0])),
            s1 = (1 + .5 * h * L[1]) * sqrt(Q);
        double b1 = .5 * h * (be[0] + be[1] + L[1] * h * be[0]);
        probe(&how, t, s, &A, &b, &sd, a);
        double size = maxd(1, fabs(A1) + fabs(b1) + fabs(s1));
        NEAR(A, A1, TOL(1e-12, 2e-5) * size, "%s stochastic Heun: A", proc_name[i]);
        NEAR(b, b1, TOL(1e-12, 2e-5) * size, "%s stochastic Heun: b", proc_name[i]);
        NEAR(sd, s1, TOL(1e-7, 2e-5) * size, "%s stochastic Heun: noise", proc_name[i]);
        if (i < 3 && EPS < 1e-10) {                         /* VP: int q = 2 log(m_s/m_t) */
            double Qe = 2 * log(fd_law(&p[i], s, 0).m / fd_law(&p[i], t, 0).m);
            NEAR(sd / (1 + .5 * h * L[1]), sqrt(Qe), 1e-12 * size, "%s: int q", proc_name[i]);
        }
    }
    OK(!st.code, "status");
}

/* one step of a modal process on a grid, mode by mode, against its rows */
static void check_modal_step(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { N = 12 };
    static const int bc[2] = { FD_NEUMANN, FD_PERIODIC };
    fd_space s = fd_grid(&a, 2, (int[]){ 3, 4 }, NULL, bc, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5), *data = fd_cov_matern(&a, &s, 1, .2, 2.5);
    fd_process p = heat(noise);
    fd_real x[N], y[N], xi[N], d[N], var[N];
    double t = 2e-3, sn = 1.2e-3;
    fd_normal(fd_seed(101), N, x);
    fd_cov_draw(noise, fd_seed(102), 0, 1, xi, a);
    for (int scheme = 0; scheme < FD_ONE_STAGE; scheme++) {
        if (scheme == FD_VE_PREDICTOR || scheme >= FD_VP_PREDICTOR) continue;
        fd_sampler how = { .p = &p, .scheme = scheme, .eta = .5 };
        how.model = fd_oracle_gauss(&a, &p, NULL, data);
        fd_real u[N], v[N], w[N], D[N];
        memcpy(y, x, sizeof x);
        fd_advance(&how, t, sn, 1, y, xi, d, a);
        how.model.var(how.model.self, &s, 1, x, &t, var, a);
        fd_to_modes(&s, 1, x, u, a);
        fd_to_modes(&s, 1, xi, w, a);
        fd_to_modes(&s, 1, d, D, a);
        fd_to_modes(&s, 1, y, v, a);
        double worst = 0;
        for (int k = 0; k < N; k++) {
            fd_row r = fd_step_row(&p, scheme, .5, t, sn, k, &st);
            double sd = noise->lam[k] > 0
                ? sqrt(r.sd * r.sd + r.gain * r.gain * var[k] / noise->lam[k]) : 0;
            double want = r.ax * u[k] + r.aD * D[k] + sd * w[k];
            worst = maxd(worst, fabs(v[k] - want) / (1 + fabs(r.ax)));
        }
        NEAR(worst, 0, 50 * EPS, "modal, %s", fd_scheme_name(scheme));
    }
    OK(!st.code, "status");
}

/* the empirical measure: samples are training points */
static void check_memory(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { N = 4, B = 24, P = 8 };
    fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .4, 1.5), *data = fd_cov_matern(&a, &s, 2, .3, 2.5);
    fd_real x0[N * P], *x = fd_new(&a, fd_real, B * P);
    double t[61];
    fd_cov_draw(data, fd_seed(111), 0, N, x0, a);
    x0[3] += (fd_real).7;
    /* a Nyquist part, of which C knows nothing */
    static const int scheme[] = { FD_ANCESTRAL, FD_DDIM, FD_PF_HEUN, FD_ANCESTRAL_OPTIMAL };
    for (int k = 0; k < 4; k++) {
        fd_process p = k == 1 ? fd_flow(noise, 0) : fd_vp(noise, .1, 20);
        fd_sampler how = { .p = &p, .t = t, .steps = 60, .scheme = scheme[k], .denoise = 1 };
        how.model = fd_oracle_data(&a, &p, N, x0);
        int seen = 0;
        fd_times(&p, k == 1 ? FD_UNIFORM : FD_LOGSNR, 0, 60, t, &st);
        fd_sample(&how, fd_seed(112), 0, B, x, a);
        double worst = 0;
        for (int b = 0; b < B; b++) {
            double best = 1e9;
            int which = 0;
            for (int i = 0; i < N; i++) {
                double d = test_maxdiff(P, x + b * P, x0 + i * P);
                if (d < best) best = d, which = i;
            }
            seen |= 1 << which;
            worst = maxd(worst, best);
        }
        NEAR(worst, 0, TOL(1e-9, 1e-5), "%s: samples are training points",
             fd_scheme_name(scheme[k]));
        OK(seen == (1 << N) - 1, "all are found: %x", seen);
    }
    OK(!st.code, "status");
}

/* samples of a Gaussian have its moments: the same stream of draws for all modes at once */
static void check_statistics(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    enum { B = 4000, N = 7 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .4, 1.5), *data = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_real *x = fd_new(&a, fd_real, B * N), mean[N], M[N];
    double t[21], z2 = 0, top = 0;
    fd_process p = fd_vp(noise, .1, 20);
    fd_sampler how = { .p = &p, .t = t, .steps = 20, .scheme = FD_ANCESTRAL_OPTIMAL };
    fd_normal(fd_seed(121), N, mean);
    how.model = fd_oracle_gauss(&a, &p, mean, data);
    fd_times(&p, FD_UNIFORM, 0, 20, t, &st);
    fd_sample(&how, fd_seed(122), 0, B, x, a);
    fd_to_modes(&s, B, x, x, a);
    fd_to_modes(&s, 1, mean, M, a);
    fd_coef e = fd_law(&p, p.tmin, 0);
    for (int k = 0; k < N; k++) {
        double m = 0, v = 0, V = e.m * e.m * data->lam[k] + e.v * noise->lam[k];
        for (int b = 0; b < B; b++) m += x[b * N + k] / B;
        for (int b = 0; b < B; b++) v += pow(x[b * N + k] - m, 2) / (B - 1);
        double z = (m - e.m * M[k]) / sqrt(V / B), w = (v / V - 1) * sqrt((B - 1) / 2.);
        z2 += z * z + w * w;
        top = maxd(top, maxd(fabs(z), fabs(w)));
    }
    OK(top < sqrt(2 * log(4 * N / 1e-6)), "largest z %g", top);
    OK(z2 < 58, "chi2 %g of %d", z2, 2 * N);
    OK(!st.code, "status");
}

/* every arena size: FD_ENOMEM or the right answer */
static int chain(fd_arena a, int k, fd_real *out, fd_real *copy)
{
    double t[4];
    fd_space s = fd_grid(&a, 1, (int[]){ 6 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .4, 1.5), *data = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_process p = k == 1 ? heat(noise) : k == 2 ? ddpm(&a, noise, 20, 1e-3, .3)
                                                 : fd_vp(noise, .1, 20);
    fd_sampler how = { .p = &p, .t = t, .steps = 3, .denoise = 1 };
    static const int scheme[] = { FD_ANCESTRAL_OPTIMAL, FD_STOCHASTIC_HEUN, FD_ANCESTRAL,
                                  FD_PF_RK4 };
    how.scheme = scheme[k];
    fd_model g = fd_oracle_gauss(&a, &p, NULL, data);
    how.model = g;
    if (k == 3) {
        fd_model raw = { FD_X0, zero_eval, NULL, NULL, NULL, NULL };
        how.model = fd_precond_model(&a, fd_precond_new(&a, &p, NULL, data), raw);
    }
    if (p.law) fd_times(&p, FD_UNIFORM, 0, 3, t, a.st);
    fd_sample(&how, fd_seed(131), 0, 2, out, a);
    double tn[2] = { t[1], t[2] };
    fd_perturb(&p, fd_seed(132), 0, 2, out, tn, copy, NULL, a);
    fd_target(&p, FD_V, 2, out, copy, tn, copy, a);
    fd_convert(&p, FD_V, FD_NOISE, 2, out, tn, copy, a);
    return a.st->code;
}

static void check_starved(void)
{
    fd_status st;
    enum { TOP = 64 << 10 };
    char *mem = malloc(TOP);
    for (int k = 0; k < 4 && mem; k++) {
        fd_real want[12], got[12], want2[12], got2[12];
        int failed = 0, size;
        OK(!chain(fd_arena_over(mem, TOP, &st), k, want, want2), "chain %d: %s", k,
           st.code ? st.what : "");
        for (size = 0; size < TOP; size += 64) {
            memset(got, 0, sizeof got);
            int code = chain(fd_arena_over(mem, (size_t)size, &st), k, got, got2);
            if (code == FD_OK) break;
            failed += code != FD_ENOMEM;
        }
        OK(failed == 0, "chain %d: other codes than FD_ENOMEM %d times", k, failed);
        OK(size > 0 && !st.code && !memcmp(want, got, sizeof got)
           && !memcmp(want2, got2, sizeof got2), "chain %d: the answer with %d bytes", k, size);
    }
    free(mem);
}

void test_samplers(void)
{
    check_golden();
    check_rows();
    check_heun();
    check_frozen();
    check_orders();
    check_chain_orders();
    check_mixture();
    check_grids();
    check_loop();
    check_modal_step();
    check_memory();
    check_statistics();
    check_starved();
}

/* ---- training ---- */

/* E |target - prediction|^2 on one mode: the residual is linear in x0, eps: three points fix it */
static double loss_of(const fd_process *p, const fd_model *m, int kind, double t, double mu,
                      double c, double lam,
                      fd_arena a)
{
    fd_real x0[3] = { 0, 1, 0 }, e[3] = { 0, 0, 1 }, x[3], y[3], z[3];
    double tt[3] = { t, t, t };
    fd_coef f = fd_law(p, t, 0);
    for (int i = 0; i < 3; i++) x[i] = (fd_real)(f.m * x0[i] + sqrt(f.v) * e[i]);
    fd_target(p, kind, 3, x0, e, tt, y, a);
    fd_predict(m, kind, p, 3, x, tt, z, a);
    double r0 = (double)y[0] - z[0], r1 = (double)y[1] - z[1] - r0, r2 = (double)y[2] - z[2] - r0;
    return pow(r0 + r1 * mu, 2) + r1 * r1 * c + r2 * r2 * lam;
}

static void check_floors(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    fd_process p[PROCS];
    double lam = .7, c = .3, mu = 1.1;
    fd_real mean = (fd_real)mu;
    fd_cov *noise = one_mode(&a, lam), *c0 = one_on(&a, noise, c);
    processes(&a, noise, p);
    for (int i = 0; i < PROCS; i++) {
        fd_model m = fd_oracle_gauss(&a, &p[i], &mean, c0);
        for (int j = 1; j < 5; j++) {
            double t = .19 * j * p[i].tmax;
            fd_coef f = fd_law(&p[i], t, 0);
            double s = sqrt(f.v), P = f.m * f.m * c + f.v * lam,
                W = f.dm * s - f.m * f.dv / (2 * s);
            double g = (f.m * f.m + f.v) * (f.m * f.m + f.v);         /* 1 for VP */
            double want[5] = { c * f.v * lam / P, lam * f.m * f.m * c / P,
                               lam * f.m * f.m * c / P / f.v,
                               g * c * lam / P, W * W * c * lam / P };
            for (int kind = 0; kind < 5; kind++) {
                double got = loss_of(&p[i], &m, kind, t, mu, c, lam, a);
                double amp = TOL(1e-9, 3e-2) * (1 + want[kind]) * (i == 4 || i == 7 ? 1 : 1);
                if (EPS > 1e-10 && f.v > 30) continue;
                NEAR(got, want[kind], amp * maxd(1, 1 / f.v * (kind == 2)),
                     "%s, loss floor of kind %d at %g",
                     proc_name[i], kind, t);
            }
        }
    }
    /* the flow-matching loss averaged over t in (0,1): (pi/2) sqrt(c lam), by midpoints of
     * t = sin^2 */
    fd_process fl = fd_flow(noise, 0);
    fd_model m = fd_oracle_gauss(&a, &fl, &mean, c0);
    double sum = 0;
    int n = 400;
    for (int i = 0; i < n; i++) {
        double q = PI / 2 * (i + .5) / n, t = sin(q) * sin(q);
        sum += loss_of(&fl, &m, FD_VELOCITY, t, mu, c, lam, a) * 2 * sin(q) * cos(q) * PI / 2 / n;
    }
    NEAR(sum, PI / 2 * sqrt(c * lam), TOL(1e-5, 1e-3), "mean flow-matching loss");
    NEAR(PI / 2 * sqrt(c * lam), .7198293, 5e-8, "as published");
    OK(!st.code, "status");
}

static void check_weights(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    fd_process p[PROCS];
    fd_cov *noise = one_mode(&a, .7);
    processes(&a, noise, p);
    for (int i = 0; i < PROCS - 1; i++) {
        double t = .43 * p[i].tmax;
        fd_coef f = fd_law(&p[i], t, 0);
        double s = sqrt(f.v), err[5], q = f.dv - 2 * f.dm * f.v / f.m, x = .8, d = 1e-2;
        fd_real xx[2] = { (fd_real)x, (fd_real)x };
        for (int kind = 0; kind < 5; kind++) {              /* how far a prediction moves with D */
            fd_real y[2] = { 0, (fd_real)d };
            double tt[2] = { t, t };
            fd_convert(&p[i], FD_X0, kind, 2, xx, tt, y, a);
            err[kind] = pow(((double)y[1] - y[0]) / d, 2);
        }
        static const int as[4] = { -1, FD_X0, FD_NOISE, FD_V };
        for (int kind = 0; kind < 5; kind++) {
            OK(fd_time_weight(&p[i], FD_W_ONE, kind, t, &st) == 1, "one");
            for (int rule = FD_W_X0; rule <= FD_W_V; rule++) {
                double w = fd_time_weight(&p[i], rule, kind, t, &st);
                NEAR(w * err[kind] / err[as[rule]], 1, TOL(1e-9, 2e-2), "%s: rule %d of kind %d",
                     proc_name[i], rule, kind);
            }
            double w = fd_time_weight(&p[i], FD_W_LIKELIHOOD, kind, t, &st);
            NEAR(w * err[kind] / (.5 * q * f.m * f.m / (f.v * f.v)), 1, TOL(1e-9, 2e-2),
                 "%s: likelihood", proc_name[i]);
        }
        NEAR(fd_time_weight(&p[i], FD_W_NOISE, FD_X0, t, &st), f.m * f.m / f.v,
             1e-12 * f.m * f.m / f.v, "noise of x0");
        NEAR(fd_time_weight(&p[i], FD_W_X0, FD_SCORE, t, &st), pow(f.v / f.m, 2),
             1e-12 * pow(f.v / f.m, 2), "x0 of score");
        if (i < 3) NEAR(fd_time_weight(&p[i], FD_W_V, FD_X0, t, &st), 1 / (s * s), 1e-12 / f.v,
                        "v of x0");
    }
    /* OU, VP: beta m^2/(1 - m^2)^2; driftless 1/t^2 */
    fd_coef f = fd_law(&p[1], .3, 0);
    NEAR(fd_time_weight(&p[1], FD_W_LIKELIHOOD, FD_X0, .3, &st),
         .5 * (.1 + 19.9 * .3) * f.m * f.m / (f.v * f.v), 1e-12, "VP");
    NEAR(fd_time_weight(&p[5], FD_W_LIKELIHOOD, FD_X0, .3, &st), .5 / .09, 1e-12, "driftless");
    NEAR(fd_time_weight(&p[6], FD_W_X0, FD_VELOCITY, .3, &st), pow(.3 + 1e-4 * .7, 2), 1e-9,
         "flow");
    OK(!st.code, "status");
    fd_time_weight(&p[8], FD_W_X0, FD_NOISE, .005, &st);
    OK(st.code == FD_EARG, "modal");
    st.code = 0;
    fd_time_weight(&p[6], FD_W_X0, FD_NOISE, 1, &st);
    OK(st.code == FD_EARG, "m = 0");
    st.code = 0;
    fd_time_weight(&p[1], 9, FD_NOISE, .5, &st);
    OK(st.code == FD_EARG, "no such rule");
    st.code = 0;
    fd_time_weight(&p[1], FD_W_X0, 9, .5, &st);
    OK(st.code == FD_EARG, "no such kind");
}

/* Pairs that cannot be. */
static void check_pairs_wrong(const fd_cov *noise, fd_arena a)
{
    const ptrdiff_t n = fd_size(&noise->s);
    fd_real *x0 = fd_new(&a, fd_real, n), *e = fd_new(&a, fd_real, n), *y = fd_new(&a, fd_real, n);
    double zero = 0;
    fd_process ou = fd_ou(noise, 2), none = fd_ou(NULL, 2);
    fd_target(&ou, FD_SCORE, 1, x0, e, &zero, y, a);
    OK(a.st->code == FD_EARG, "score at v = 0");
    char text[200];
    fd_explain(a.st, text, sizeof text);
    OK(!strcmp(text, "fd_target: this kind of target does not exist where v = 0"),
       "explained as '%s'", text);
    a.st->code = 0;
    fd_target(&ou, 7, 1, x0, e, &zero, y, a);
    OK(a.st->code == FD_EARG, "no such kind");
    a.st->code = 0;
    fd_perturb(&none, fd_seed(1), 0, 1, x0, &zero, y, NULL, a);
    fd_explain(a.st, text, sizeof text);
    OK(!strcmp(text, "fd_perturb: the process has no noise"), "explained as '%s'", text);
    a.st->code = 0;
    fd_target(&none, FD_X0, 1, x0, e, &zero, y, a);
    OK(a.st->code == FD_EARG, "a target without noise");
}

static void check_pairs(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { B = 4 };
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 6 }, NULL, mixed_bc, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .4, 1.5);
    fd_process p[PROCS];
    ptrdiff_t n = fd_size(&s);
    fd_real *x0 = fd_new(&a, fd_real, B * n), *e = fd_new(&a, fd_real, B * n),
        *x = fd_new(&a, fd_real, B * n);
    fd_real *y = fd_new(&a, fd_real, B * n), *u = fd_new(&a, fd_real, B * n),
        *w = fd_new(&a, fd_real, B * n);
    fd_real *z = fd_new(&a, fd_real, B * n);
    processes(&a, noise, p);
    fd_normal(fd_seed(141), B * n, x0);
    for (int i = 0; i < PROCS; i++) {
        double t[B], worst = 0, wt = 0;
        for (int b = 0; b < B; b++) t[b] = p[i].tmax * (.1 + .2 * b);
        fd_perturb(&p[i], fd_seed(142), 9, B, x0, t, x, e, a);
        fd_cov_draw(noise, fd_seed(142), 9, B, y, a);
        OK(!memcmp(y, e, (size_t)(B * n) * sizeof *e), "eps is draw first + i");
        fd_perturb(&p[i], fd_seed(142), 9, B, x0, t, y, NULL, a);
        OK(!memcmp(y, x, (size_t)(B * n) * sizeof *e), "without eps");
        fd_perturb(&p[i], fd_seed(142), 11, 2, x0 + 2 * n, t + 2, y, NULL, a);
        OK(!memcmp(y, x + 2 * n, (size_t)(2 * n) * sizeof *e), "part of a batch");
        fd_to_modes(&s, B, x0, u, a);
        fd_to_modes(&s, B, e, w, a);
        fd_to_modes(&s, B, x, x, a);
        fd_target(&p[i], FD_VELOCITY, B, x0, e, t, z, a);
        fd_to_modes(&s, B, z, z, a);
        for (ptrdiff_t j = 0; j < B * n; j++) {
            fd_coef f = fd_law(&p[i], t[j / n], j % s.modes);
            double vel = -(f.dm * u[j] + f.dv / (2 * sqrt(f.v)) * w[j]);
            worst = maxd(worst, fabs(f.m * u[j] + sqrt(f.v) * w[j] - x[j]) / sqrt(1 + f.v));
            wt = maxd(wt, fabs(vel - z[j]) / (1 + fabs(f.dm) + fabs(f.dv / sqrt(f.v))));
        }
        NEAR(worst, 0, 60 * EPS, "%s: m x0 + s eps", proc_name[i]);
        NEAR(wt, 0, 60 * EPS, "%s: velocity", proc_name[i]);
        for (int kind = 0; kind < 5; kind++) {              /* y may be x0 or eps */
            fd_target(&p[i], kind, B, x0, e, t, z, a);
            memcpy(u, x0, (size_t)(B * n) * sizeof *u);
            memcpy(w, e, (size_t)(B * n) * sizeof *w);
            fd_target(&p[i], kind, B, u, e, t, u, a);
            fd_target(&p[i], kind, B, x0, w, t, w, a);
            size_t bytes = (size_t)(B * n) * sizeof *u;
            OK(!memcmp(u, z, bytes) && !memcmp(w, z, bytes), "in place");
        }
    }
    OK(!st.code, "status");
    check_pairs_wrong(noise, a);
}

/* Log-uniform levels: odds log(1 + 1/t) from the lowest level to T. */
static void check_chain_times(fd_process dd, const fd_cov *noise, fd_arena a)
{
    enum { B = 2000 };
    double *t = fd_new(&a, double, B);
    fd_process lad = fd_ladder(noise, .01, 30, 10), from3 = dd, ladder3 = lad;
    from3.tmin = 2, ladder3.tmin = 3;
    const fd_process *chains[4] = { &dd, &lad, &from3, &ladder3 };
    for (int c = 0; c < 4; c++)
        for (int rule = FD_T_UNIFORM; rule <= FD_T_LOGNORMAL; rule++) {
            int seen[11] = { 0 }, low = c < 2 ? 1 : 3, bad = 0;
            fd_draw_times(chains[c], rule, NULL, fd_seed(152), 0, B, t, a.st);
            for (int i = 0; i < B; i++) {
                bad += !(t[i] == floor(t[i]) && t[i] >= low && t[i] <= 10);
                if (!bad) seen[(int)t[i]]++;
            }
            OK(!bad, "chain %d, rule %d: levels", c, rule);
            for (int k = low; k <= 10 && rule < FD_T_LOGNORMAL && !bad; k++) {
                double q = rule == FD_T_LOG ? log(1 + 1. / k) / log(11. / low) : 1 / (11. - low);
                NEAR(seen[k], B * q, rule == FD_T_STRATIFIED ? 1 : 5 * sqrt(B * q * (1 - q)),
                     "chain %d, rule %d: level %d", c, rule, k);
            }
            if (rule == FD_T_LOGNORMAL) OK(seen[low] > 0, "chain %d: the lowest level", c);
        }
}

/* Levels without replacement. */
static void check_levels(fd_process dd, fd_arena a)
{
    enum { B = 2000 };
    double *t = fd_new(&a, double, B), *u = fd_new(&a, double, B);
    for (int b = 3; b <= 25; b += 11) {                  /* without replacement, T = 10 at a time */
        int seen[11] = { 0 }, most = (b + 9) / 10, same = 0;
        fd_draw_times(&dd, FD_T_LEVELS, NULL, fd_seed(153), 7, b, t, a.st);
        fd_draw_times(&dd, FD_T_LEVELS, NULL, fd_seed(153), 8, b, u, a.st);
        for (int i = 0; i < b; i++) {
            OK(t[i] == floor(t[i]) && t[i] >= 1 && t[i] <= 10, "level %g", t[i]);
            seen[(int)t[i]]++, same += t[i] == u[i];
            if (i % 10 == 9 || i == b - 1)
                for (int k = 1; k <= 10; k++)
                    OK(seen[k] <= i / 10 + 1 && seen[k] >= (i + 1) / 10, "level %d of %d: %d times",
                       k, i + 1, seen[k]);
        }
        OK(same < b && most > 0, "another call, another permutation");
    }
    int pairs[11][11] = { { 0 } };
    for (int i = 0; i < B; i++) {                           /* any two levels, equally often */
        fd_draw_times(&dd, FD_T_LEVELS, NULL, fd_seed(154), i, 2, t, a.st);
        pairs[(int)t[0]][(int)t[1]]++;
    }
    for (int i = 1; i <= 10; i++)
        for (int j = 1; j <= 10; j++)
            NEAR(pairs[i][j], i == j ? 0 : B / 90., 5 * sqrt(B / 90.), "levels %d and %d", i, j);
}

/* Log-normal sigma on a flow, which begins at infinity. */
static void check_lognormal(const fd_cov *noise, fd_arena a)
{
    double t[5];
    fd_process fl = fd_flow(noise, 1e-4);                   /* sigma from infinity: clipped */
    fd_draw_times(&fl, FD_T_LOGNORMAL, (double[]){ 30, 1 }, fd_seed(152), 0, 5, t, a.st);
    for (int i = 0; i < 5; i++) OK(t[i] <= 1 && t[i] > .99, "clipped");
    fd_draw_times(&fl, FD_T_LOGNORMAL, NULL, fd_seed(152), 0, 5, t, a.st);
    OK(t[0] > 0 && t[0] < 1, "default of [EDM]");
    for (int i = 0; i < 5; i++) {                           /* log sigma = -1.2 + 1.2 z */
        float z[4];
        fd_normal4(fd_seed(152), (uint32_t[4]){ (uint32_t)i, 0, 0, 0 }, z);
        fd_coef c = fd_law(&fl, t[i], 0);
        NEAR(.5 * log(c.v) - log(c.m), -1.2 + 1.2 * (double)z[0], 1e-12,
             "log-normal by default, %d", i);
    }
}

static void check_draw_times(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    enum { B = 2000 };
    fd_cov *noise = one_mode(&a, .7);
    fd_process p = fd_vp(noise, .1, 20), dd = ddpm(&a, noise, 10, 1e-3, .3);
    double *t = fd_new(&a, double, B), *u = fd_new(&a, double, B), prm[2] = { -.4, .9 };
    for (int rule = FD_T_UNIFORM; rule <= FD_T_LOGNORMAL; rule++) {
        double m = 0, v = 0, mean, var, bad = 0;
        fd_draw_times(&p, rule, prm, fd_seed(151), 3, B, t, &st);
        for (int i = 0; i < B; i++) {
            fd_coef c = fd_law(&p, t[i], 0);
            bad += !(t[i] >= p.tmin && t[i] <= p.tmax);
            u[i] = rule == FD_T_LOG ? log(t[i]) : rule == FD_T_LOGNORMAL ? .5 * log(c.v) - log(c.m)
                : t[i];
            m += u[i] / B;
        }
        for (int i = 0; i < B; i++) v += pow(u[i] - m, 2) / B;
        OK(bad == 0, "rule %d: range", rule);
        double lo = rule == FD_T_LOG ? log(p.tmin) : p.tmin,
            hi = rule == FD_T_LOG ? log(p.tmax) : p.tmax;
        mean = rule == FD_T_LOGNORMAL ? -.4 : .5 * (lo + hi);
        var = rule == FD_T_LOGNORMAL ? .81 : (hi - lo) * (hi - lo) / 12;
        NEAR(m, mean, (rule == FD_T_STRATIFIED ? 1. / B : 5 * sqrt(var / B)), "rule %d: mean",
             rule);
        NEAR(v, var, (rule == FD_T_STRATIFIED ? 2. / B : 8 * var / sqrt(B)), "rule %d: variance",
             rule);
        if (rule == FD_T_STRATIFIED) {                      /* one in each cell, at one offset */
            double off = (t[0] - p.tmin) / (p.tmax - p.tmin) * B;
            off -= floor(off);
            for (int i = bad = 0; i < B; i++)
                bad = maxd(bad, fabs((t[i] - p.tmin) / (p.tmax - p.tmin) * B - i - off));
            NEAR(bad, 0, 1e-9, "stratified cells");
            fd_draw_times(&p, rule, prm, fd_seed(151), 4, B, u, &st);
            OK(u[0] != t[0], "another call, another offset");
        } else {
            fd_draw_times(&p, rule, prm, fd_seed(151), 13, 5, u, &st);
            OK(!memcmp(u, t + 10, 5 * sizeof *u), "rule %d: element first + i", rule);
        }
    }
    int count[11] = { 0 };
    fd_draw_times(&dd, FD_T_UNIFORM, NULL, fd_seed(152), 0, B, t, &st);
    for (int i = 0; i < B; i++)
        if (t[i] == floor(t[i]) && t[i] >= 1 && t[i] <= 10) count[(int)t[i]]++;
    for (int k = 1; k <= 10; k++) NEAR(count[k], B / 10., 5 * sqrt(B * .09), "chain: t = %d", k);
    double unit[5];                                         /* the words of a block */
    fd_draw_times(&p, FD_T_UNIFORM, NULL, fd_seed(152), 0, 5, unit, &st);
    for (int i = 0; i < 5; i++) {
        uint32_t out[4];
        fd_philox(fd_seed(152).key, (uint32_t[4]){ (uint32_t)i, 0, 0, 0 }, out);
        double w = (out[0] + out[1] / 4294967296.) / 4294967296.;
        NEAR(unit[i], p.tmin + (p.tmax - p.tmin) * w, 1e-15, "uniform time %d", i);
    }
    check_chain_times(dd, noise, a);
    check_levels(dd, a);
    check_lognormal(noise, a);
    OK(!st.code, "status");
}

void test_training(void)
{
    check_floors();
    check_weights();
    check_pairs();
    check_draw_times();
}
