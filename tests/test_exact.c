/* test_exact.c -- a row for every process and every scheme: m, v and the step against formulas that
 * share nothing with sde.c, in long double, and the law of a whole run to 1e-10. For data N(mean,
 * c) a step is affine in each mode, x' = A x + b + n xi, so that what the shipped step makes of 0,
 * of 1 and of noise alone is all of it. */
#include "test.h"

#define PI 3.14159265358979323846264338327950288L
enum { N = 7, STEPS = 5, CHAIN = 20 };
typedef long double real;
typedef struct { real m, v, dm, dv; } law;

/* ---- the processes ---- */

enum { OU, VP, COSINE, SUBVP, VE, DRIFTLESS, FLOW, FLOW_VP, LADDER, LINEAR, QUADRATIC, SIGMOID,
       IDDPM, GAMMAS, FDP, FDP_GIVEN, HEAT, HEAT_THETA, HEAT_COSINE, BLUR, PATH, PATH_NOISE,
       PROCS };
static const char *const proc_name[PROCS] = {
    "ou", "vp", "vp-cosine", "subvp", "ve", "driftless", "flow", "flow-vp", "ladder", "ddpm linear",
    "ddpm quadratic", "ddpm sigmoid", "ddpm cosine", "ddpm gammas", "fdp", "fdp given", "heat",
    "heat theta", "heat cosine", "blur", "path", "path with noise" };

static int is_chain(int which) { return which >= LINEAR && which <= GAMMAS; }

static double theta(double t, const void *self, double *d)
{
    (void)self;
    *d = 1 + 2.6 * t;
    return t + 1.3 * t * t;
}
static double path_A(double r, const void *self, double *d)
{
    (void)self;
    *d = 2 * r;
    return r * r;
}
static double path_B(double r, const void *self, double *d)
{
    double s = *(const double *)self;
    *d = -(1 - s);
    return 1 - (1 - s) * r;
}
static double path_G(double r, const void *self, double *d)
{
    (void)self;
    *d = .1 * (1 - 2 * r);
    return .1 * r * (1 - r);
}
static const double path_s = .03;

static real given_b(ptrdiff_t k) { return k == 3 ? 0 : .2L + .13L * (real)k; }

/* beta_t of the schedules, t = 1..CHAIN */
static real chain_beta(int which, int t)
{
    real b1 = .002L, bT = .3L, u = (t - 1) / (CHAIN - 1.L);
    if (which == LINEAR || which == GAMMAS) return (1 - u) * b1 + u * bT;
    if (which == QUADRATIC) return powl((1 - u) * sqrtl(b1) + u * sqrtl(bT), 2);
    if (which == SIGMOID) return b1 + (bT - b1) * (1 + tanhl(6 * u - 3)) / 2;
    real w = PI / 2 / 1.008L, up = cosl(w * (t / (real)CHAIN + .008L)),
        was = cosl(w * ((t - 1) / (real)CHAIN + .008L));
    return fminl(1 - up * up / (was * was), .999L);
}

static real chain_log(int which, real t)
{
    real sum = 0;
    for (int i = 1; i <= CHAIN && i - 1 < t; i++)
        sum += (t < i ? t - (i - 1) : 1) * logl(1 - chain_beta(which, i));
    return sum;
}

/* of l = log m^2 where v = 1 - m^2 */
static law of_log(real l, real dl)
{
    return (law){ expl(l / 2), -expm1l(l), dl * expl(l / 2) / 2, -dl * expl(l) };
}

static fd_process base_flow;

static fd_process make(int which, fd_arena *a, const fd_cov *noise)
{
    double beta[CHAIN], gamma[CHAIN], b[N];
    switch (which) {
    case OU: return fd_ou(noise, 3.2);
    case VP: return fd_vp(noise, .1, 8);
    case COSINE: return fd_vp_cosine(noise);
    case SUBVP: return fd_subvp(noise, .1, 8);
    case VE: return fd_ve(noise, .1, 9);
    case DRIFTLESS: return fd_driftless(noise, 3);
    case FLOW: return fd_flow(noise, .02);
    case FLOW_VP: return fd_flow_vp(noise, .08);
    case LADDER: return fd_ladder(noise, .02, 11, CHAIN);
    case FDP: return fd_fdp(a, noise, .1, 5, NULL);
    case FDP_GIVEN:
        for (int k = 0; k < N; k++) b[k] = (double)given_b(k);
        return fd_fdp(a, noise, .1, 3, b);
    case HEAT: return fd_heat(noise, .7, .01, NULL, NULL, .8);
    case HEAT_THETA: return fd_heat(noise, .7, .01, theta, NULL, .8);
    case HEAT_COSINE: return fd_heat_cosine(noise, 1, 1. / 256);
    case BLUR:
        base_flow = fd_flow_vp(noise, 0);
        return fd_blur(&base_flow, .02, .06);
    case PATH: return fd_path(noise, path_A, path_B, NULL, &path_s);
    case PATH_NOISE: return fd_path(noise, path_A, path_B, path_G, &path_s);
    default:
        fd_beta_schedule(which == QUADRATIC ? FD_BETA_QUADRATIC : which == SIGMOID ? FD_BETA_SIGMOID
                         : which == IDDPM ? FD_BETA_COSINE : FD_BETA_LINEAR, CHAIN, .002, .3, beta,
                         a->st);
        for (int t = 0; t < CHAIN; t++) gamma[t] = (t ? gamma[t - 1] : 1) * (1 - beta[t]);
        return which == GAMMAS ? fd_ddpm_gammas(a, noise, CHAIN, gamma)
                               : fd_ddpm_betas(a, noise, CHAIN, beta);
    }
}

/* m, v and d/dt at t of mode k; chains: the slope below */
static law law_at(int which, real t, ptrdiff_t k)
{
    real w = (real)((k + 1) / 2), mu = 4 * PI * PI * w * w, e, f, B, dB, A, b, th, dth, s, u;
    law c;
    switch (which) {
    case OU: return of_log(-t, -1);
    case VP: return of_log(-.1L * t - 3.95L * t * t, -.1L - 7.9L * t);
    case SUBVP:
        c = of_log(-.1L * t - 3.95L * t * t, -.1L - 7.9L * t);
        return (law){ c.m, c.v * c.v, c.dm, 2 * c.v * c.dv };
    case COSINE:
        u = PI / 2 / 1.008L, f = u * (t + .008L), e = cosl(u * .008L);
        c = (law){ cosl(f) / e, 0, -u * sinl(f) / e, 0 };
        return (law){ c.m, 1 - c.m * c.m, c.dm, -2 * c.m * c.dm };
    case VE: e = .1L * powl(90, t); return (law){ 1, e * e, 0, 2 * logl(90) * e * e };
    case DRIFTLESS: return (law){ 1, t, 0, 1 };
    case FLOW: e = .98L * t + .02L; return (law){ 1 - t, e * e, -1, 1.96L * e };
    case FLOW_VP:
        u = PI / 2 / 1.08L, f = u * (t + .08L);
        return (law){ cosl(f), sinl(f) * sinl(f), -u * sinl(f), u * sinl(2 * f) };
    case LADDER:
        u = logl(550) / (CHAIN - 1), e = .02L * powl(550, (t - 1) / (CHAIN - 1));
        return (law){ 1, e, 0, u * e };
    case FDP: case FDP_GIVEN:
        b = which == FDP_GIVEN ? given_b(k) : 1 / (w * w + .3L) + powl((w * w + 2) / 1089, .25L);
        u = logl(1 + (which == FDP ? 2.55L : 1.55L) / .02L);
        B = .02L * (expl(u * t) - 1), dB = .02L * u * expl(u * t);
        return (law){ expl(-b * B), b == 0 ? 2 * B : (1 - expl(-2 * b * B)) / b,
                      -b * dB * expl(-b * B),
                      2 * dB * expl(-2 * b * B) };
    case HEAT: case HEAT_THETA:
        A = .7L + .01L * mu, th = t, dth = 1;
        if (which == HEAT_THETA) th = t + 1.3L * t * t, dth = 1 + 2.6L * t;
        return (law){ expl(-A * th), (1 - expl(-2 * A * th)) / (2 * A), -A * dth * expl(-A * th),
                      dth * expl(-2 * A * th) };
    case HEAT_COSINE:
        c = law_at(COSINE, t, k);
        A = 1 + mu / 256, e = powl(c.m, A);
        return (law){ e, (1 - e * e) / (2 * A), A * e * c.dm / c.m, -e * e * c.dm / c.m };
    case BLUR:
        f = PI / 2 * t, s = .02L + .04L * sinl(f) * sinl(f), e = expl(-mu * s * s / 2);
        return (law){ cosl(f) * e, sinl(f) * sinl(f),
                      -PI / 2 * sinl(f) * e - cosl(f) * e * mu * s * .04L * PI / 2 * sinl(2 * f),
                      PI / 2 * sinl(2 * f) };
    case PATH: case PATH_NOISE:
        u = 1 - t, b = 1 - .97L * u, e = which == PATH ? 0 : .1L * u * t;
        return (law){ u * u, b * b + e * e, -2 * u, 1.94L * b
                      + (which == PATH ? 0 : .2L * e * (1 - 2 * t)) };
    default:
        e = chain_log(which, t);
        return of_log(e, logl(1 - chain_beta(which, t <= 1 ? 1 : (int)ceill(t))));
    }
}

/* a stage of a step from t to s, `node` of the way: of a chain in log gamma */
static law stage(int which, real t, real s, real node, ptrdiff_t k)
{
    if (!is_chain(which)) return law_at(which, t + node * (s - t), k);
    real lt = chain_log(which, t), ls = chain_log(which, s);
    return of_log(lt + node * (ls - lt), (ls - lt) / (s - t));
}

/* int_s^t q/m^e du by Boole's rule; chains: closed forms */
static real integral(int which, real t, real s, ptrdiff_t k, int e)
{
    law T = law_at(which, t, k), S = law_at(which, s, k);
    if (is_chain(which)) return e ? 2 / T.m - 2 / S.m : 2 * logl(S.m / T.m);
    static const int weight[4] = { 14, 32, 12, 32 };
    enum { PARTS = 1200 };
    real sum = 0;
    for (int i = 0; i <= PARTS; i++) {
        law f = law_at(which, s + (t - s) * i / PARTS, k);
        real q = f.dv - 2 * f.v * f.dm / f.m;
        sum += (i == 0 || i == PARTS ? 7 : weight[i % 4]) * (e ? q / f.m : q);
    }
    return sum * 2 * (t - s) / (45 * PARTS);
}

static double times(int which, int i)
{
    static const double part[STEPS + 1] = { .93, .71, .52, .4, .3, .18 };
    static const double level[STEPS + 1] = { 19, 17, 14.5, 14, 11.25, 8 };
    double top = which == OU ? 3.2 : which == COSINE || which == HEAT_COSINE ? .9946
        : which == DRIFTLESS ? 3
               : which == HEAT || which == HEAT_THETA ? .8 : 1;
    return is_chain(which) || which == LADDER ? level[i] : top * part[i];
}

/* where each begins and ends unless it is told otherwise */
static void check_ranges(void)
{
    static const double range[PROCS][2] = {
        { 1e-3, 3.2 }, { 1e-3, 1 }, { 1e-5, .9946 }, { 1e-3, 1 }, { 0, 1 }, { 1e-3, 3 }, { 0, 1 },
        { 0, 1 }, { 1, CHAIN }, { 0, CHAIN }, { 0, CHAIN }, { 0, CHAIN }, { 0, CHAIN },
        { 0, CHAIN },
        { 1e-3, 1 }, { 1e-3, 1 }, { 8e-4, .8 }, { 8e-4, .8 }, { 1e-5, .9946 }, { 0, 1 }, { 0, 1 },
        { 0, 1 } };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5);
    for (int i = 0; i < PROCS; i++) {
        fd_process p = make(i, &a, noise);
        NEAR(p.tmin, range[i][0], 1e-15 * range[i][0], "%s: tmin", proc_name[i]);
        NEAR(p.tmax, range[i][1], 1e-15 * range[i][1], "%s: tmax", proc_name[i]);
    }
    OK(!st.code, "status");
}

static void check_laws(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5);
    for (int i = 0; i < PROCS; i++) {
        fd_process p = make(i, &a, noise);
        for (int j = 0; j <= STEPS; j++)
            for (int k = 0; k < N; k++) {
                double t = times(i, j);
                law w = law_at(i, t, k);
                fd_coef c = fd_law(&p, t, k);
                NEAR(c.m, (double)w.m, 2e-13 * (double)w.m, "%s: m_%d(%g)", proc_name[i], k, t);
                NEAR(c.v, (double)w.v, 2e-13 * (double)w.v, "%s: v_%d(%g)", proc_name[i], k, t);
                NEAR(c.dm, (double)w.dm, 1e-12 * fabs((double)w.dm), "%s: m'_%d(%g)", proc_name[i],
                     k, t);
                NEAR(c.dv, (double)w.dv, 1e-12 * fabs((double)w.dv), "%s: v'_%d(%g)", proc_name[i],
                     k, t);
            }
    }
    OK(!st.code, "status");
}

/* ---- the schemes ---- */

/* one mode: lam of the noise, mean and variance of the data */
typedef struct { real lam, mean, c; } mode;
typedef struct { real A, b, n, size; } affine;

static real power(law f, mode o) { return f.m * f.m * o.c + f.v * o.lam; }

/* D = d1 x + d0 */
static real d_one(law f, mode o) { return f.m * o.c / power(f, o); }
static real d_zero(law f, mode o) { return f.v * o.lam * o.mean / power(f, o); }
static real rate(law f) { return f.dv - 2 * f.v * f.dm / f.m; }

/* dx/dtau = L x + be of the reverse equation, eta = 0 the flow, 1 the SDE */
static void slope(law f, mode o, real eta, real *L, real *be)
{
    real g = (1 + eta * eta) * rate(f) * o.lam / (2 * power(f, o));
    *L = -f.dm / f.m - g;
    *be = g * f.m * o.mean;
}

static affine of_row(law T, mode o, real ax, real aD, real var)
{
    return (affine){ ax + aD * d_one(T, o), aD * d_zero(T, o), sqrtl(var), fabsl(ax) + fabsl(aD) };
}

/* x = A X + b of the stages, X the state at t */
static affine of_stages(int which, int scheme, real t, real s, ptrdiff_t k, mode o)
{
    static const struct { int scheme, stages; real node[4], w[4]; } rk[] = {
        { FD_PF_HEUN, 2, { 0, 1 }, { .5L, .5L } },
        { FD_STOCHASTIC_HEUN, 2, { 0, 1 }, { .5L, .5L } },
        { FD_PF_MIDPOINT, 2, { 0, .5L }, { 0, 1 } },
        { FD_PF_RK4, 4, { 0, .5L, .5L, 1 }, { 1 / 6.L, 1 / 3.L, 1 / 3.L, 1 / 6.L } } };
    int r = 0;
    while (rk[r].scheme != scheme) r++;
    real h = t - s, eta = scheme == FD_STOCHASTIC_HEUN, L = 0, be, KA = 0, Kb = 0;
    affine y = { 1, 0, 0, 1 };
    for (int i = 0; i < rk[r].stages; i++) {
        slope(stage(which, t, s, rk[r].node[i], k), o, eta, &L, &be);
        real A = L * (1 + rk[r].node[i] * h * KA), b = L * rk[r].node[i] * h * Kb + be;
        KA = A, Kb = b;
        y.A += h * rk[r].w[i] * A, y.b += h * rk[r].w[i] * b, y.size += fabsl(h * A);
    }
    if (eta > 0) y.n = (1 + h / 2 * L) * sqrtl(integral(which, t, s, k, 0));
    return y;
}

/* Is there such a step? Then what it is. */
static int step_of(int which, int scheme, real eta, real t, real s, ptrdiff_t k, mode o, affine *y)
{
    law T = law_at(which, t, k), S = law_at(which, s, k);
    real h = t - s, kap = T.m / S.m, vts = T.v - kap * kap * S.v, q = rate(T), a = -T.dm / T.m;
    real G, g, var;
    int reverse = scheme == FD_EULER_MARUYAMA || scheme == FD_EXPONENTIAL
        || scheme == FD_SEMI_ANALYTIC
               || scheme == FD_STOCHASTIC_HEUN || (scheme == FD_ETA_EULER && eta > 0);
    if (reverse && which == PATH_NOISE) return 0;             /* its q has no sign */
    switch (scheme) {
    case FD_EULER_MARUYAMA: eta = 1; goto euler;
    case FD_PF_EULER: eta = 0; goto euler;
    case FD_ETA_EULER: euler:
        g = (1 + eta * eta) * q / (2 * T.v);
        *y = of_row(T, o, 1 + h * (a - g), h * g * T.m, eta * eta * q * h);
        return 1;
    case FD_EXPONENTIAL:
        G = S.m * integral(which, t, s, k, 1);
        *y = of_row(T, o, 1 / kap - G / T.v, G * T.m / T.v, vts / (kap * kap));
        return 1;
    case FD_SEMI_ANALYTIC:
        *y = of_row(T, o, (1 - h * q / T.v) / kap, h * q * T.m / T.v / kap, vts / (kap * kap));
        return 1;
    case FD_ANCESTRAL: case FD_ANCESTRAL_LARGE: case FD_ANCESTRAL_OPTIMAL:
        var = scheme == FD_ANCESTRAL_LARGE ? vts : S.v * vts / T.v;
        if (scheme == FD_ANCESTRAL_OPTIMAL && o.lam > 0)
            var += powl(S.m * vts / T.v, 2) * o.c * T.v / power(T, o);
        *y = of_row(T, o, kap * S.v / T.v, S.m * vts / T.v, var);
        return 1;
    case FD_DDIM:
        var = eta * eta * S.v * vts / T.v;
        G = sqrtl((S.v - var) / T.v);
        *y = of_row(T, o, G, S.m - T.m * G, var);
        return 1;
    case FD_VE_PREDICTOR:
        if (T.m != 1 || S.m != 1) return 0;
        *y = of_row(T, o, 1 - (T.v - S.v) / T.v, (T.v - S.v) / T.v, T.v - S.v);
        return 1;
    case FD_VP_PREDICTOR:
        G = 2 * a * h;
        if (fabsl(T.m * T.m + T.v - 1) > 1e-9L || G > 1) return 0;
        *y = of_row(T, o, 2 - sqrtl(1 - G) - G / T.v, G * T.m / T.v, G);
        return 1;
    case FD_PF_HEUN: case FD_PF_MIDPOINT: case FD_PF_RK4: case FD_STOCHASTIC_HEUN:
        *y = of_stages(which, scheme, t, s, k, o);
        return 1;
    }
    return 0;
}

/* A corrector at t */
static affine correct_of(int which, int rule, real prm, real t, real end, ptrdiff_t k, mode o)
{
    law T = law_at(which, t, k), E = law_at(which, end, k);
    real al = rule == FD_CORRECT_SCALED ? prm * T.v : prm * powl(T.v / E.v, 2);
    return of_row(T, o, 1 - al / (2 * T.v), al * T.m / (2 * T.v), al);
}

typedef struct {
    fd_space s;
    fd_cov *noise, *data;
    fd_real *mean;
    mode o[N];
} world;

static world world_make(fd_arena *a)
{
    world w;
    fd_real M[N];
    w.s = fd_grid(a, 1, (int[]){ N }, NULL, NULL, 1);
    w.noise = fd_cov_matern(a, &w.s, 1, .3, 1.5), w.data = fd_cov_matern(a, &w.s, .8, .4, 2.5);
    w.mean = fd_new(a, fd_real, N);
    fd_normal(fd_seed(3), N, w.mean);
    fd_to_modes(&w.s, 1, w.mean, M, *a);
    for (int k = 0; k < N; k++) w.o[k] = (mode){ w.noise->lam[k], M[k], w.data->lam[k] };
    return w;
}

/* [3][N] in modes: 0; 1 on all; 0 and noise of 1 on all, in xi; through a step or, s < 0, a
 * corrector */
static void probe(const fd_sampler *how, double t, double s, double A[N], double b[N], double n[N],
                  fd_arena a)
{
    const fd_space *g = &how->p->noise->s;
    fd_real x[3 * N] = { 0 }, xi[N];
    for (int k = 0; k < N; k++) x[N + k] = xi[k] = 1;
    fd_from_modes(g, 3, x, x, a);
    fd_from_modes(g, 1, xi, xi, a);
    for (int i = 0; i < 2; i++) {
        if (s < 0) fd_correct(how, t, 2 - i, x + 2 * N * i, i ? xi : NULL, NULL, a);
        else fd_advance(how, t, s, 2 - i, x + 2 * N * i, i ? xi : NULL, NULL, a);
    }
    fd_to_modes(g, 3, x, x, a);
    for (int k = 0; k < N; k++) {
        b[k] = (double)x[k];
        A[k] = (double)x[N + k] - b[k];
        n[k] = (double)x[2 * N + k] - b[k];
    }
}

static void same_step(const char *proc, const char *what, affine y, double A, double b, double n,
                      real M)
{
    double tol = 2e-12 * (double)(y.size * (1 + fabsl(M)));
    NEAR(A, (double)y.A, tol, "%s, %s: A", proc, what);
    NEAR(b, (double)y.b, tol, "%s, %s: b", proc, what);
    NEAR(n, (double)y.n, tol, "%s, %s: noise", proc, what);
}

static const struct { int scheme; double eta; } schemes[] = {
    { FD_EULER_MARUYAMA, 0 }, { FD_PF_EULER, 0 }, { FD_ETA_EULER, .6 }, { FD_ETA_EULER, 0 },
    { FD_EXPONENTIAL, 0 }, { FD_SEMI_ANALYTIC, 0 }, { FD_ANCESTRAL, 0 }, { FD_ANCESTRAL_LARGE, 0 },
    { FD_ANCESTRAL_OPTIMAL, 0 }, { FD_DDIM, 0 }, { FD_DDIM, .7 }, { FD_DDIM, 1 },
    { FD_VE_PREDICTOR, 0 }, { FD_VP_PREDICTOR, 0 }, { FD_PF_HEUN, 0 },
    { FD_PF_MIDPOINT, 0 }, { FD_PF_RK4, 0 }, { FD_STOCHASTIC_HEUN, 0 } };

/* Each step, and the law of five of them from N(0, v C) */
static void check_steps(void)
{
    fd_status st;
    fd_arena all = test_arena(4 << 20, &st);
    world w = world_make(&all);
    int rows = 0;
    for (int i = 0; i < PROCS; i++)
        for (size_t r = 0; r < sizeof schemes / sizeof *schemes; r++) {
            fd_arena a = all;
            fd_process p = make(i, &a, w.noise);
            double t[STEPS + 1], A[N], b[N], n[N], M[N] = { 0 }, V[N];
            real RM[N] = { 0 }, RV[N];
            const char *name = fd_scheme_name(schemes[r].scheme);
            fd_sampler how = { .p = &p, .t = t, .steps = STEPS, .scheme = schemes[r].scheme,
                               .eta = schemes[r].eta };
            int there = 1;
            how.model = fd_oracle_gauss(&a, &p, w.mean, w.data);
            for (int j = 0; j <= STEPS; j++) t[j] = times(i, j);
            for (int k = 0; k < N; k++)
                V[k] = (double)(RV[k] = law_at(i, t[0], k).v * w.o[k].lam);
            for (int j = 0; j < STEPS && there; j++) {
                affine y[N];
                for (int k = 0; k < N; k++)
                    there &= step_of(i, schemes[r].scheme, schemes[r].eta, t[j], t[j + 1], k,
                                     w.o[k], &y[k]);
                probe(&how, t[j], t[j + 1], A, b, n, a);
                OK(there == !st.code || i == PATH_NOISE, "%s, %s: exists %d, code %d", proc_name[i],
                   name, there, st.code);
                for (int k = 0; k < N && there; k++) {
                    same_step(proc_name[i], name, y[k], A[k], b[k], n[k], w.o[k].mean);
                    RM[k] = y[k].A * RM[k] + y[k].b;
                    RV[k] = y[k].A * y[k].A * RV[k] + y[k].n * y[k].n * w.o[k].lam;
                    M[k] = A[k] * M[k] + b[k];
                    V[k] = A[k] * A[k] * V[k] + n[k] * n[k] * w.noise->lam[k];
                }
            }
            for (int k = 0; k < N && there; k++) {
                NEAR(M[k], (double)RM[k], 1e-10 * (1 + fabs((double)RM[k])),
                     "%s, %s: mean of mode %d", proc_name[i], name, k);
                NEAR(V[k], (double)RV[k], 1e-10 * (double)RV[k], "%s, %s: variance of mode %d",
                     proc_name[i], name, k);
            }
            rows += there;
            st.code = 0;
        }
    OK(rows > 300, "rows: %d", rows);
}

/* Multistep: DDIM, then with D extrapolated in l = log m/s; of process i from x. */
static void check_multistep(int i, const world *w, fd_sampler how, const fd_real *x, fd_arena a)
{
    fd_real y[2 * N];
    const double *t = how.t;
    how.scheme = FD_PF_MULTISTEP;
    fd_run *run = fd_begin(&a, &how, fd_seed(1), 0, 2);
    memcpy(run->x, x, 2 * N * sizeof *x);
    while (fd_step(run, a)) { }
    fd_to_modes(&w->s, 2, run->x, y, a);
    for (int k = 0; k < N; k++)
        for (int c = 0; c < 2; c++) {
            real X = c, was = 0, lwas = 0;
            for (int j = 0; j < STEPS; j++) {
                law T = law_at(i, t[j], k), S = law_at(i, t[j + 1], k);
                real D = d_one(T, w->o[k]) * X + d_zero(T, w->o[k]), ax = sqrtl(S.v / T.v);
                real l = logl(T.m * T.m / T.v) / 2, on = logl(S.m * S.m / S.v) / 2;
                real E = j ? D + (D - was) * (on - l) / (2 * (l - lwas)) : D;
                X = ax * X + (S.m - T.m * ax) * E;
                was = D, lwas = l;
            }
            NEAR((double)y[c * N + k], (double)X, TOL(1e-11, 1e-4) * (1 + fabs((double)X)),
                 "%s, pf-multistep, mode %d", proc_name[i], k);
        }
}

/* Correctors, alone and as an annealing. */
static void check_correctors(int i, const world *w, fd_sampler how, fd_arena a)
{
    double A[N], b[N], n[N];
    const double *t = how.t;
    for (int rule = FD_CORRECT_SCALED; rule <= FD_CORRECT_LADDER; rule++) {
        how.corrector = rule, how.cprm = .23, how.scheme = FD_ANNEALED, how.inner = 2;
        double M[N] = { 0 };
        real RM[N] = { 0 };
        for (int j = 0; j <= STEPS && EPS < 1e-10; j++) {
            probe(&how, t[j], -1, A, b, n, a);
            for (int k = 0; k < N; k++) {
                affine q = correct_of(i, rule, .23L, t[j], t[STEPS], k, w->o[k]);
                same_step(proc_name[i], rule == FD_CORRECT_SCALED ? "scaled" : "ladder", q,
                          A[k], b[k], n[k], w->o[k].mean);
                for (int l = 0; l < 2; l++)
                    RM[k] = q.A * RM[k] + q.b, M[k] = A[k] * M[k] + b[k];
            }
        }
        for (int k = 0; k < N && rule == FD_CORRECT_SCALED && EPS < 1e-10; k++)
            NEAR(M[k], (double)RM[k], 1e-10 * (1 + fabs((double)RM[k])), "%s, annealed: mean",
                 proc_name[i]);
    }
}

/* Starts: N(0, v C), N(0, C), N(m mean, m^2 c + v C) from draws. */
static void check_starts(int i, const world *w, fd_sampler how, fd_arena a)
{
    fd_real y[N], xi[N], x0[N];
    const double *t = how.t;
    how.corrector = FD_CORRECT_NONE, how.scheme = FD_DDIM, how.mean = w->mean, how.cov = w->data;
    fd_cov_draw_modes(w->noise, fd_seed(9), 4, 1, xi);
    fd_cov_draw_modes(w->data, fd_stream(fd_seed(9), 'm', 0), 4, 1, x0);
    for (how.start = FD_START_NOISE; how.start <= FD_START_MATCHED; how.start++) {
        fd_run *run = fd_begin(&a, &how, fd_seed(9), 4, 1);
        fd_to_modes(&w->s, 1, run->x, y, a);
        for (int k = 0; k < N; k++) {
            law T = law_at(i, t[0], k);
            real X = (how.start == FD_START_UNIT ? 1 : sqrtl(T.v)) * xi[k];
            if (how.start == FD_START_MATCHED) X += T.m * (w->o[k].mean + x0[k]);
            NEAR((double)y[k], (double)X, TOL(1e-12, 1e-5) * (1 + fabs((double)X)),
                 "%s, start %d", proc_name[i], how.start);
        }
    }
}

/* pf-multistep as a run, pf-adaptive against the exact flow, annealing, correctors, starts, the
 * last D */
static void check_runs(void)
{
    fd_status st;
    fd_arena all = test_arena(4 << 20, &st);
    world w = world_make(&all);
    for (int i = 0; i < PROCS; i++) {
        fd_arena a = all;
        fd_process p = make(i, &a, w.noise);
        double t[STEPS + 1];
        fd_real x[2 * N] = { 0 }, y[2 * N];
        fd_sampler how = { .p = &p, .t = t, .steps = STEPS };
        how.model = fd_oracle_gauss(&a, &p, w.mean, w.data);
        for (int j = 0; j <= STEPS; j++) t[j] = times(i, j);
        for (int k = 0; k < N; k++) x[N + k] = 1;
        fd_from_modes(&w.s, 2, x, x, a);
        check_multistep(i, &w, how, x, a);
        /* adaptive: x = m_s mean + sqrt(P_s/P_t) (x - m_t mean) */
        how.scheme = FD_PF_ADAPTIVE, how.rtol = how.atol = TOL(1e-12, 1e-6);
        memcpy(y, x, sizeof x);
        fd_advance(&how, t[0], t[STEPS], 2, y, NULL, NULL, a);
        fd_to_modes(&w.s, 2, y, y, a);
        for (int k = 0; k < 2 * N; k++) {
            mode o = w.o[k % N];
            law T = law_at(i, t[0], k % N), S = law_at(i, t[STEPS], k % N);
            real X = S.m * o.mean + sqrtl(power(S, o) / power(T, o)) * ((k >= N) - T.m * o.mean);
            NEAR((double)y[k], (double)X, TOL(1e-10, 1e-4) * (1 + fabs((double)X)),
                 "%s, pf-adaptive, mode %d", proc_name[i], k);
        }
        check_correctors(i, &w, how, a);
        check_starts(i, &w, how, a);
        double end[2] = { t[STEPS], t[STEPS] };
        fd_predict(&how.model, FD_X0, &p, 2, x, end, y, a);
        fd_to_modes(&w.s, 2, y, y, a);
        for (int k = 0; k < 2 * N; k++) {
            law T = law_at(i, t[STEPS], k % N);
            real D = d_one(T, w.o[k % N]) * (k >= N) + d_zero(T, w.o[k % N]);
            NEAR((double)y[k], (double)D, TOL(1e-12, 1e-5) * (1 + fabs((double)D)),
                 "%s: D of mode %d", proc_name[i], k);
        }
        OK(!st.code, "%s: status %s", proc_name[i], st.code ? st.what : "");
    }
}

/* What a start from N(0, v C) costs: W2 of Gaussians, mode by mode */
static real w2_of(real far, real x, real y) { return far * far + powl(sqrtl(x) - sqrtl(y), 2); }

static void check_terminal(void)
{
    fd_status st;
    fd_arena all = test_arena(4 << 20, &st);
    world w = world_make(&all);
    for (int i = 0; i < PROCS; i++) {
        fd_arena a = all;
        fd_process p = make(i, &a, w.noise);
        p.tmax = times(i, 0), p.tmin = times(i, 2);
        fd_gap g = fd_terminal(&p, w.mean, w.data, a);
        real top = 0, kl = 0, now = 0, ode = 0, sde = 0;
        for (int k = 0; k < N; k++) {
            mode o = w.o[k];
            law T = law_at(i, times(i, 0), k), E = law_at(i, times(i, 2), k);
            real PT = power(T, o), PE = power(E, o), V = T.v * o.lam, kap = T.m / E.m, r = PE / PT;
            real off = T.m * o.mean;
            top = fmaxl(top, T.m);
            kl += (PT / V - 1 - logl(PT / V) + off * off / V) / 2;
            now += w2_of(off, PT, V);
            ode += w2_of(sqrtl(r) * off, PE, r * V);
            sde += w2_of(kap * r * off, PE, r * fmaxl(0, T.v - kap * kap * E.v) * o.lam
                                            + kap * kap * r * r * V);
        }
        const double got[5] = { g.m, g.kl, g.w2, g.ode, g.sde };
        const real want[5] = { top, kl, sqrtl(now), sqrtl(ode), sqrtl(sde) };
        for (int j = 0; j < 5; j++)
            NEAR(got[j], (double)want[j], TOL(1e-10, 1e-5) * (double)want[j], "%s: gap %d",
                 proc_name[i], j);
    }
    OK(!st.code, "status");
}

/* Dormand-Prince by torchdiffeq's rules on one mode, x and the density beside it */
typedef struct { real x, sum; } flow;

static flow flow_slope(real x, real t, mode o)
{
    real L, be;
    slope(law_at(VP, t, 0), o, 0, &L, &be);
    return (flow){ L * x + be, L };
}

static real ratio(real err, real x, real y, real tol)
{
    return fabsl(err) / (tol + tol * fmaxl(fabsl(x), fabsl(y)));
}

static flow dopri(real x, real from, real to, mode o, int density, real tol, int *evals,
                  int *cut)
{
    static const real c[6] = { .2L, .3L, .8L, 8 / 9.L, 1, 1 };
    static const real a[6][6] = {
        { .2L }, { .075L, .225L }, { 44 / 45.L, -56 / 15.L, 32 / 9.L },
        { 19372 / 6561.L, -25360 / 2187.L, 64448 / 6561.L, -212 / 729.L },
        { 9017 / 3168.L, -355 / 33.L, 46732 / 5247.L, 49 / 176.L, -5103 / 18656.L },
        { 35 / 384.L, 0, 500 / 1113.L, 125 / 192.L, -2187 / 6784.L, 11 / 84.L } };
    static const real low[7] = { 1951 / 21600.L, 0, 22642 / 50085.L, 451 / 720.L, -12231 / 42400.L,
                                 649 / 6300.L, 1 / 60.L };
    real way = from > to ? 1 : -1, t = from;
    flow k[7], y = { x, 0 };
    k[0] = flow_slope(x, t, o), *evals = 2;
    real d0 = ratio(x, x, x, tol), d1 = ratio(k[0].x, x, x, tol);
    real h = fminl(d0 < 1e-5L || d1 < 1e-5L ? 1e-6L : d0 / d1 / 100, fabsl(from - to));
    real d2 = ratio(flow_slope(x + way * h * k[0].x, t - way * h, o).x - k[0].x, x, x, tol) / h;
    h = fminl(100 * h, powl(fmaxl(d1, d2) * 100, -.2L));
    while (t != to) {
        int last = h >= fabsl(t - to);
        real step = way * (last ? fabsl(t - to) : h);
        flow up = y, err = { 0, 0 };
        for (int i = 0; i < 6; i++) {
            up = y;
            for (int j = 0; j <= i; j++)
                up.x += step * a[i][j] * k[j].x, up.sum += step * a[i][j] * k[j].sum;
            k[i + 1] = flow_slope(up.x, t - c[i] * step, o), ++*evals;
        }
        for (int j = 0; j < 7; j++) {
            real e = step * ((j < 6 ? a[5][j] : 0) - low[j]);
            err.x += e * k[j].x, err.sum += e * k[j].sum;
        }
        real r = ratio(err.x, y.x, up.x, tol), q = ratio(err.sum, y.sum, up.sum, tol);
        if (density) r = sqrtl((r * r + q * q) / 2);
        if (r <= 1) y = up, t = last ? to : t - step, k[0] = k[6];
        *cut += .9L * powl(r, -.2L) < .2L;
        h = fabsl(step) * fminl(10, fmaxl(.9L * powl(r, -.2L), r <= 1 ? 1 : .2L));
    }
    return y;
}

static void check_control(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ 1 }, NULL, NULL, 1);
    static const struct { double x, c, end, tol; } row[] = {
        { -.9, .25, .05, 1e-2 }, { -.9, .25, .05, 1e-3 }, { -.9, .25, .05, 0 },
        { -.9, .25, .05, 1e-7 }, { 0, .25, .05, 1e-3 }, { -.9, 1e-10, 1e-5, 1e-3 } };
    double lam = .7;
    fd_cov *noise = fd_cov_table(&a, &s, &lam);
    fd_real mean = (fd_real)1.3;
    fd_process p = fd_vp(noise, .1, 8);
    int cut = 0;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double tol = row[i].tol, logp, t[2] = { .93, row[i].end };
        fd_cov *data = fd_cov_table(&a, &s, &row[i].c);
        mode o = { .7L, 1.3L, row[i].c };
        fd_real x = (fd_real)row[i].x;
        int evals = 0, want;
        fd_sampler how = { .p = &p, .t = t, .steps = 1, .scheme = FD_PF_ADAPTIVE, .rtol = tol,
                           .atol = tol, .evals = &evals };
        how.model = fd_oracle_gauss(&a, &p, &mean, data);
        fd_advance(&how, t[0], t[1], 1, &x, NULL, NULL, a);
        if (tol == 0) tol = 1e-5;                           /* the default */
        flow y = dopri(row[i].x, t[0], t[1], o, 0, tol, &want, &cut);
        NEAR((double)x, (double)y.x, 1e-13, "Dormand-Prince at %g", tol);
        OK(evals == want, "evaluations: %d, %d", evals, want);
        x = (fd_real)row[i].x, evals = 0;
        fd_loglik(&how, 0, fd_seed(1), 0, 1, &x, &logp, a);
        y = dopri(row[i].x, t[1], t[0], o, 1, tol, &want, &cut);
        law T = law_at(VP, t[0], 0);
        real V = T.v * o.lam, l = y.sum - (logl(2 * PI * V) + y.x * y.x / V) / 2;
        NEAR(logp, (double)l, 1e-12 * (1 + fabs((double)l)), "its density");
        OK(evals == want, "evaluations with a density: %d, %d", evals, want);
    }
    OK(!st.code && cut > 0, "status, and %d steps cut to a fifth", cut);
}

void test_exact(void)
{
    check_ranges();
    check_laws();
    if (EPS < 1e-10) {
        check_steps();
        check_control();
    }
    check_runs();
    check_terminal();
}
