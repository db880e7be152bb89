/* test_laws.c -- laws of processes and what follows from them: losses, correctors and longer steps,
 * densities, interpolants, against closed forms and numbers that were computed apart from this
 * code. */
#include "test.h"

#define PI 3.14159265358979323846

static double maxf(double x, double y) { return x > y ? x : y; }

static fd_cov *single(fd_arena *a, double lam)
{
    fd_space s = fd_grid(a, 1, (int[]){ 1 }, NULL, NULL, 1);
    return fd_cov_table(a, &s, &lam);
}

static fd_cov *single_on(fd_arena *a, const fd_cov *c, double v) { return fd_cov_table(a, &c->s,
                                                                                       &v); }

static double q_of(fd_coef c) { return c.dv - 2 * c.v * c.dm / c.m; }

/* ---- laws ---- */

static fd_schedule ot_A, ot_B, bump, clock2;
static double ot_A(double r, const void *self, double *d) { (void)self; *d = 1; return r; }
static double ot_B(double r, const void *self, double *d)
{
    double s = *(const double *)self;
    *d = -(1 - s);
    return 1 - (1 - s) * r;
}
static double bump(double r, const void *self, double *d)
{
    (void)self;
    *d = .4 * PI * cos(PI * r);
    return .4 * sin(PI * r);
}
static double clock2(double t, const void *self, double *d)
{
    double g = *(const double *)self;
    *d = 1 + 2 * g * t;
    return t + g * t * t;
}

enum { NEW = 9 };
static const char *const new_name[NEW] = { "flow-vp", "ladder", "fdp", "fdp given", "heat",
                                           "heat cosine", "blur", "path", "interpolant" };
static fd_process blurred_base;
static const double path_s = .01, clock_g = 1.3;

static void new_processes(fd_arena *a, const fd_cov *noise, fd_process p[NEW])
{
    double *b = fd_new(a, double, noise->s.modes);
    for (ptrdiff_t k = 0; k < noise->s.modes && b; k++) b[k] = k % 5 == 3 ? 0 : .2 + .13
        * (double)k;
    blurred_base = fd_flow_vp(noise, 0);
    p[0] = fd_flow_vp(noise, .08);
    p[1] = fd_ladder(noise, .01, 30, 500);
    p[2] = fd_fdp(a, noise, .1, 5, NULL);
    p[3] = fd_fdp(a, noise, .1, 10, b);
    p[4] = fd_heat(noise, .7, .02, clock2, &clock_g, 1.5);
    p[5] = fd_heat_cosine(noise, 1, 1. / (32 * 32));
    p[6] = fd_blur(&blurred_base, .05 / PI, .25 / PI);
    p[7] = fd_path(noise, ot_A, ot_B, NULL, &path_s);
    p[8] = fd_path(noise, ot_A, ot_B, bump, &path_s);
}

static void check_derivatives(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 7 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_process p[NEW];
    new_processes(&a, noise, p);
    for (int i = 0; i < NEW; i++)
        for (int j = 1; j < 9; j++)
            for (ptrdiff_t k = 0; k < s.modes; k += 8) {
                double t = p[i].tmin + (p[i].tmax - p[i].tmin) * (j - .37) / 8.3,
                    d = 1e-5 * p[i].tmax;
                fd_coef c = fd_law(&p[i], t, k), l = fd_law(&p[i], t - d, k),
                    r = fd_law(&p[i], t + d, k);
                double dm = (r.m - l.m) / (2 * d), dv = (r.v - l.v) / (2 * d);
                NEAR(c.dm, dm, 1e-7 * (c.m / p[i].tmax + fabs(dm)), "%s m'(%g), mode %d",
                     new_name[i], t, (int)k);
                NEAR(c.dv, dv, 1e-6 * (c.v / p[i].tmax + fabs(dv)), "%s v'(%g), mode %d",
                     new_name[i], t, (int)k);
                OK(c.v > 0 && c.m > 0 && (i == 8 || q_of(c) >= 0), "%s q(%g)", new_name[i], t);
            }
    OK(!st.code, "status");
}

/* |k|^2 of a periodic mode on the unit torus */
static double waves2(const fd_space *s, ptrdiff_t k)
{
    int j[3];
    double sum = 0;
    fd_mode(s, k, j);
    for (int i = 0; i < s->nd; i++) sum += ((j[i] + 1) / 2) * ((j[i] + 1) / 2);
    return sum;
}

static double fdp_b(double k2) { return 1 / (k2 + .3) + pow((k2 + 2) / (33. * 33), .25); }

/* A table of b: bad ones; on a dense space it goes by index, not by mu. */
static void check_fdp_table(fd_arena a)
{
    double bad[2] = { 1, -1 }, two[2] = { 1, 1 };
    fd_space s2 = fd_grid(&a, 1, (int[]){ 2 }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c2 = fd_cov_table(&a, &s2, two);
    fd_process p = fd_fdp(&a, c2, .1, 5, bad);
    char text[200];
    fd_explain(a.st, text, sizeof text);
    OK(!p.noise && !strcmp(text, "fd_fdp: b is negative or not finite: mode: 1"),
       "explained as '%s'", text);
    a.st->code = 0;
    p = fd_fdp(&a, c2, -1, .5, two);
    OK(a.st->code == FD_EARG && !p.noise, "negative rates");
    a.st->code = 0;
    OK(!fd_fdp_noise(&a, &s2, 0, 0) && a.st->code == FD_EARG, "no energy");
    a.st->code = 0;
    fd_real basis[4] = { 1, 0, 0, 1 },
        weight[2] = { 1, 1 };    /* a dense space: by index, not by mu */
    fd_space d = fd_dense(NULL, 2, 2, basis, weight, 1);
    fd_cov *cd = fd_cov_table(&a, &d, two);
    double b[2] = { .5, 2 }, t = .4;
    p = fd_fdp(&a, cd, .1, 5, b);
    fd_real x0[2] = { 1, 1 }, xt[2], eps[2];
    fd_perturb(&p, fd_seed(1), 0, 1, x0, &t, xt, eps, a);
    for (int k = 0; k < 2; k++) {
        fd_coef f = fd_law(&p, t, k);
        NEAR(xt[k], f.m + sqrt(f.v) * eps[k], 10 * EPS, "dense, mode %d", k);
        NEAR(log(f.m) / b[k], log(fd_law(&p, t, 0).m) / b[0], 1e-12, "dense m");
    }
}

static void check_fdp(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    fd_space s = fd_grid(&a, 2, (int[]){ 15, 16 }, NULL, NULL, 1);
    fd_cov *noise = fd_fdp_noise(&a, &s, 1, 64 * 64), *own = fd_fdp_noise(&a, &s, 64, 0);
    static const double beta1[2] = { 5, 10 }, B1[2] = { 2.55, 5.05 }, first[2] = { .097, .111 },
        last[2] = { 12.5, 28.1 }, low[2] = { .345, .121 };
    int j[3];
    for (int i = 0; i < 2; i++) {
        fd_process p = fd_fdp(&a, noise, .1, beta1[i], NULL);
        double worst = 0, bmin = 9;
        for (ptrdiff_t k = 0; k < s.modes; k++) {
            double k2 = waves2(&s, k), b = fdp_b(k2), t = .37, c = log(B1[i] / .02 + 1);
            double B = .02 * (exp(c * t) - 1), beta = .02 * c * exp(c * t);
            fd_coef f = fd_law(&p, t, k);
            worst = maxf(worst, fabs(f.m - exp(-b * B)) + fabs(f.v - (1 - exp(-2 * b * B)) / b));
            worst = maxf(worst, fabs(-f.dm / f.m - beta * b) + fabs(q_of(f) - 2 * beta));
            if (!fd_mode(&s, k, j))
                worst = maxf(worst, fabs(noise->lam[k] * 64 * 64 - 4096 / 23.27 / (k2 + 2)));
            if (b < bmin) bmin = b;
            if (k2 == 13) {
                NEAR(b, .41777, 1e-5, "the least b");
                NEAR(fd_law(&p, 1, k).m, low[i], 6e-4, "m(1)");
            }
        }
        NEAR(worst, 0, 1e-12, "FDP: m, v, a, q, r");
        NEAR(bmin, .41777, 1e-5, "the least b is at |k|^2 = 13");
        NEAR(-log(fd_law(&p, 1, 0).m) / fdp_b(0), B1[i], 1e-12, "B(1)");
        NEAR(.5 * q_of(fd_law(&p, 0, 0)), first[i], 6e-4, "beta(0)");
        NEAR(.5 * q_of(fd_law(&p, 1, 0)), last[i], .06, "beta(1)");
        fd_gap g = fd_terminal(&p, NULL, noise, a);
        NEAR(g.m, low[i], 6e-4, "terminal: the largest m");
        NEAR(waves2(&s, g.k), 13, 0, "at |k|^2 = 13");
    }
    NEAR(fdp_b(0), 3.540, 5e-4, "b_0");
    NEAR(own->lam[1] * 240 * 64, noise->lam[1] * 4096, 1e-12, "energy, and ref = 0");
    static const struct { int n; double E, var; } pix[] = { { 32, 1, 5.01 }, { 64, 1, 1.466 },
                                                            { 64, 64, .0229 } };
    for (int i = 0; i < 3; i++) {                           /* the stationary variance of a pixel */
        int n = pix[i].n;
        double sum = 0;
        for (int x = 0; x < n; x++)
            for (int y = 0; y < n; y++) {
                double k2 = pow(x < n / 2 ? x : n - x, 2) + pow(y < n / 2 ? y : n - y, 2);
                sum += 4096 / 23.27 / ((k2 + 2) * pix[i].E) / fdp_b(k2) / n / n;
            }
        NEAR(sum, pix[i].var, 4e-3 * pix[i].var, "stationary variance, N = %d", n);
    }
    OK(!st.code, "status");
    check_fdp_table(a);
    OK(!st.code, "status");
}

/* The ratio of the ladder's levels; the levels by fd_times; each of them is drawn. */
static void check_ladder(const fd_cov *noise, fd_arena a)
{
    fd_process ladder = fd_ladder(noise, .01, 30, 500);
    double t[500];
    fd_times(&ladder, FD_UNIFORM, 0, 499, t, a.st);
    for (int i = 0; i < 499; i += 83)
        NEAR(fd_law(&ladder, t[i + 1], 0).v / fd_law(&ladder, t[i], 0).v, .98408, 5e-6,
             "ratio of levels");
    NEAR(fd_law(&ladder, t[0], 0).v, 30, 1e-12, "highest level");
    NEAR(fd_law(&ladder, t[499], 0).v, .01, 1e-15, "lowest level");
    int count[4] = { 0 };
    fd_process l4 = fd_ladder(noise, .01, 1, 4);
    double u[4000];
    fd_draw_times(&l4, FD_T_UNIFORM, NULL, fd_seed(7), 0, 4000, u, a.st);
    for (int i = 0; i < 4000; i++)
        if (u[i] == floor(u[i]) && u[i] >= 1 && u[i] <= 4) count[(int)u[i] - 1]++;
    for (int i = 0; i < 4; i++) NEAR(count[i], 1000, 140, "level %d is drawn", i + 1);
}

static void check_heat_blur(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { N = 16 };
    static const int bc[2] = { FD_NEUMANN, FD_NEUMANN };
    fd_space s = fd_grid(&a, 2, (int[]){ N, N }, NULL, bc, 1);
    double index = .1, kappa = 1. / (N * N);
    /* 2 A^-index/N^2, A = 1 + kappa mu, as a Bessel family */
    fd_cov *noise = fd_cov_bessel(&a, &s, 2 * pow(kappa, -index) / (N * N), 1 / kappa, index);
    fd_process p = fd_heat_cosine(noise, 1, kappa), cosine = fd_vp_cosine(noise);
    fd_process base = fd_flow_vp(noise, 0), blur = fd_blur(&base, .05 / PI, .25 / PI);
    double worst = 0, wb = 0;
    int j[3];
    for (ptrdiff_t k = 0; k < s.modes; k++)
        for (int i = 1; i < 6; i++) {
            double t = .15 * i;
            if (fd_mode(&s, k, j)) OK(0, "Nyquist on a Neumann grid");
            double A = 1 + pow(PI * j[0] / N, 2) + pow(PI * j[1] / N, 2),
                th = -log(fd_law(&cosine, t, 0).m);
            fd_coef f = fd_law(&p, t, k);
            double v = (1 - exp(-2 * th * A)) / A * pow(A, -index) / (N * N);
            worst = maxf(worst, fabs(f.m - exp(-A * th)) + fabs(f.v * noise->lam[k] / v - 1));
            double sB = .05 + .2 * pow(sin(PI * t / 2), 2), l = -2 * log(tan(PI * t / 2));
            double al2 = 1 / (1 + exp(-l));
            f = fd_law(&blur, t, k);
            wb = maxf(wb, fabs(f.m - sqrt(al2) * exp(-.5 * (j[0] * j[0] + j[1] * j[1]) * sB * sB))
                          + fabs(f.v - (1 - al2)));
        }
    NEAR(worst, 0, 1e-11, "HDM's image process");
    NEAR(wb, 0, 1e-12, "DDO-SDF's process");
    NEAR(fd_law(&blur, 0, 1).m, exp(-.5 * .05 * .05), 1e-14, "blurred at t = 0");
    fd_process plain = fd_heat(noise, 0, 1, NULL, NULL, 2);
    NEAR(fd_law(&plain, .7, 0).v, .7, 1e-15, "A = 0: Brownian motion");
    NEAR(fd_law(&plain, 1e-3, 3).m, exp(-9e-3 * PI * PI), 1e-13, "th = t");
    check_ladder(noise, a);
    /* FFM's path: A = cos((1 - r + .08)/2.16 pi), ends off data */
    fd_process fv = fd_flow_vp(noise, .08);
    for (int i = 0; i < 5; i++) {
        double r = .23 * i, A = cos((1 - r + .08) / 2.16 * PI);
        NEAR(fd_law(&fv, 1 - r, 0).m, A, 1e-14, "FFM-VP A");
        NEAR(fd_law(&fv, 1 - r, 0).v, 1 - A * A, 1e-14, "FFM-VP B^2");
    }
    OK(fd_law(&fv, 1, 0).m == 0, "A(0) = 0");
    NEAR(fd_law(&fv, 0, 0).m, .9932, 5e-5, "A(1)");
    NEAR(sqrt(fd_law(&fv, 0, 0).v), .116, 5e-4, "B(1)");
    NEAR(pow(fd_law(&fv, 0, 0).m, 2), .9865, 5e-5, "A(1)^2");
    NEAR(fd_law(&fv, 0, 0).v, .0135, 5e-5, "B(1)^2");
    /* a path of one's own is fd_flow */
    fd_process own = fd_path(noise, ot_A, ot_B, NULL, &path_s), fl = fd_flow(noise, path_s);
    fd_process si = fd_path(noise, ot_A, ot_B, bump, &path_s);
    for (int i = 0; i < 7; i++) {
        fd_coef x = fd_law(&own, .16 * i, 0), y = fd_law(&fl, .16 * i, 0),
            z = fd_law(&si, .16 * i, 0);
        NEAR(fabs(x.m - y.m) + fabs(x.v - y.v) + fabs(x.dm - y.dm) + fabs(x.dv - y.dv), 0, 1e-14,
             "path");
        NEAR(z.v, y.v + pow(.4 * sin(PI * (1 - .16 * i)), 2), 1e-14, "interpolant");
    }
    OK(!st.code, "status");
}

typedef struct { double M, V; } gauss;

static void probe1(const fd_sampler *how, int correct, double t, double s, double *A, double *b,
                   double *n, fd_arena a)
{
    fd_real x[3] = { 0, 1, 0 }, xi = 1;
    for (int i = 0; i < 2; i++) {
        fd_real *y = i ? x + 2 : x;
        if (correct) fd_correct(how, t, i ? 1 : 2, y, i ? &xi : NULL, NULL, a);
        else fd_advance(how, t, s, i ? 1 : 2, y, i ? &xi : NULL, NULL, a);
    }
    *b = x[0], *A = (double)x[1] - x[0], *n = (double)x[2] - x[0];
}

static gauss push(const fd_sampler *how, int correct, double t, double s, gauss w, int noise,
                  fd_arena a)
{
    double A, b, n;
    probe1(how, correct, t, s, &A, &b, &n, a);
    return (gauss){ A * w.M + b, A * A * w.V + (noise ? n * n * how->p->noise->lam[0] : 0) };
}

/* The three starts, from the same draws. */
static void check_starts(const fd_cov *n3, const fd_cov *d3, const fd_cov *c0, fd_arena a)
{
    double t[3];
    a.st->code = 0;
    fd_process vp = fd_vp(n3, .1, 2);
    fd_real m6[6], x0[12], xi[12];
    fd_normal(fd_seed(5), 6, m6);
    fd_times(&vp, FD_UNIFORM, 0, 2, t, a.st);
    fd_sampler how = { .p = &vp, .t = t, .steps = 2, .mean = m6, .cov = d3 };
    how.model = fd_oracle_gauss(&a, &vp, m6, d3);
    fd_cov_draw(n3, fd_seed(9), 4, 2, xi, a);
    fd_cov_draw(d3, fd_stream(fd_seed(9), 'm', 0), 4, 2, x0, a);
    fd_coef T = fd_law(&vp, 1, 0);
    for (how.start = FD_START_NOISE; how.start <= FD_START_MATCHED; how.start++) {
        fd_run *run = fd_begin(&a, &how, fd_seed(9), 4, 2);
        double worst = 0;
        for (int i = 0; i < 12 && run; i++) {
            double want = how.start == FD_START_UNIT ? xi[i] : sqrt(T.v) * xi[i];
            if (how.start == FD_START_MATCHED) want += T.m * ((double)m6[i % 6] + x0[i]);
            worst = maxf(worst, fabs(run->x[i] - want));
        }
        NEAR(worst, 0, 10 * EPS, "start %d", how.start);
    }
    OK(!a.st->code, "status");
    OK(!fd_begin(&a, &how, fd_seed(9), 4, 2) && a.st->code == FD_EARG, "no such start");
    how.start = FD_START_MATCHED, how.cov = c0, a.st->code = 0;
    OK(!fd_begin(&a, &how, fd_seed(9), 4, 2) && a.st->code == FD_ESHAPE, "other points");
}

static void check_terminal(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    double lam = .7, c = .25, mu = 1.3, t[61];
    fd_real mean = (fd_real)mu;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process p = fd_vp(noise, .1, 20);
    fd_gap g = fd_terminal(&p, &mean, c0, a);
    fd_coef T = fd_law(&p, 1, 0);
    double P = T.m * T.m * c + T.v * lam, V = T.v * lam;
    NEAR(g.m, .006571586494929619, 1e-16, "m(T)");
    NEAR(P, .6999805664129228, 1e-14, "P(T)");
    NEAR(g.kl, .5 * (P / V - 1 - log(P / V) + pow(T.m * mu, 2) / V), TOL(1e-15, 1e-10), "KL");
    NEAR(g.w2, sqrt(pow(T.m * mu, 2) + pow(sqrt(P) - sqrt(V), 2)), TOL(1e-14, 1e-8), "W2");
    gauss end = { 1.299928534464, .250049474780 };
        /* the law at tmin; the flow from N(0, .7) */
    NEAR(g.ode, hypot(end.M - 1.294822502107, sqrt(end.V) - sqrt(.250056416913)), 1e-7,
         "flow: mismatch");
    fd_sampler how = { .p = &p, .t = t, .steps = 60, .scheme = FD_ANCESTRAL_OPTIMAL };
    how.model = fd_oracle_gauss(&a, &p, &mean, c0);
    fd_times(&p, FD_UNIFORM, 0, 60, t, &st);
    gauss w = { 0, V };
    for (int k = 0; k < 60; k++) w = push(&how, 0, t[k], t[k + 1], w, 1, a);
    NEAR(g.sde, hypot(end.M - w.M, sqrt(end.V) - sqrt(w.V)), TOL(1e-11, 1e-6), "SDE: mismatch");
    OK(g.sde < 1e-2 * g.ode, "the SDE forgets, the flow does not");
    /* two modes, two channels: sums; a flow from m = 0 starts without error */
    fd_space s = fd_grid(&a, 1, (int[]){ 3 }, NULL, NULL, 2);
    fd_cov *n3 = fd_cov_matern(&a, &s, 1, .3, 1.5), *d3 = fd_cov_matern(&a, &s, 2, .2, 2.5);
    fd_process fl = fd_flow(n3, 0), dl = fd_driftless(n3, 5);
    g = fd_terminal(&fl, NULL, d3, a);
    OK(g.m == 0 && g.kl == 0 && g.w2 == 0 && g.ode == 0 && g.sde == 0, "a flow");
    g = fd_terminal(&dl, NULL, d3, a);
    double kl = 0, w2 = 0;
    for (int k = 0; k < 3; k++) {
        double v = 5 * n3->lam[k], r = (v + d3->lam[k]) / v;
        kl += r - 1 - log(r), w2 += 2 * pow(sqrt(v + d3->lam[k]) - sqrt(v), 2);
    }
    NEAR(g.kl, kl, 1e-13, "driftless: KL");
    NEAR(g.w2, sqrt(w2), 1e-13, "driftless: W2");
    OK(g.m == 1 && !st.code, "driftless keeps the mean");
    fd_terminal(&p, NULL, d3, a);
    OK(st.code == FD_ESHAPE, "other modes");
    check_starts(n3, d3, c0, a);
}

/* chains of any schedule: the law that they make of N(1.3, .25) from N(0, .7), computed
 * elsewhere */
static void check_schedules(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    enum { T = 50 };
    static const struct { int rule; double M, V, gamma, beta7; } row[] = {
        { FD_BETA_LINEAR, 1.297901857613, .2134751899094, .004505985481, .0253673469388 },
        { FD_BETA_QUADRATIC, 1.290089229823, .2249566964123, .02105731304, .00680813910114 },
        { FD_BETA_SIGMOID, 1.298103840712, .2222404811918, .00407334103, .00312118761794 },
        { FD_BETA_COSINE, 1.299999549089, .2221390880159, 9.711930299e-07, .0135241264256 } };
    double beta[T], gamma[T], t[T + 1];
    fd_real mu = (fd_real)1.3;
    fd_cov *noise = single(&a, .7), *c0 = single_on(&a, noise, .25);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) {
            fd_beta_schedule(row[i].rule, T, 1e-3, .2, beta, &st);
            for (int j = 0; j < T; j++) gamma[j] = (j ? gamma[j - 1] : 1) * (1 - beta[j]);
            fd_process p = k ? fd_ddpm_gammas(&a, noise, T, gamma)
                             : fd_ddpm_betas(&a, noise, T, beta);
            NEAR(beta[6], row[i].beta7, 1e-13, "schedule %d: beta_7", row[i].rule);
            NEAR(fd_law(&p, T, 0).m, sqrt(row[i].gamma), 1e-9 * sqrt(row[i].gamma), "gamma_T");
            NEAR(fd_law(&p, 3, 0).v, 1 - gamma[2], 1e-14, "v");
            fd_times(&p, FD_UNIFORM, 0, T, t, &st);
            fd_sampler how = { .p = &p, .t = t, .steps = T, .scheme = FD_ANCESTRAL };
            how.model = fd_oracle_gauss(&a, &p, &mu, c0);
            gauss w = { 0, .7 };
            for (int j = 0; j < T; j++) w = push(&how, 0, t[j], t[j + 1], w, 1, a);
            NEAR(w.M, row[i].M, TOL(1e-11, 1e-4), "schedule %d, given %d: mean", row[i].rule, k);
            NEAR(w.V, row[i].V, TOL(1e-11, 1e-4), "schedule %d, given %d: variance", row[i].rule,
                 k);
        }
    fd_beta_schedule(FD_BETA_QUADRATIC, 1, .3, .4, beta, &st);
    NEAR(beta[0], .3, 1e-15, "one step");
    beta[T - 1] = gamma[T - 1] = 0;
    OK(!st.code, "status");
    for (int k = 0; k < 3; k++) {
        static const char *const want[] = {
            "fd_ddpm_betas: beta must lie between 0 and 1; step: 4",
            "fd_ddpm_gammas: gamma must fall from 1 and stay above 0; step: 4",
            "fd_ddpm_gammas: gamma must fall from 1 and stay above 0; step: 1" };
        char text[200];
        beta[3] = 1.2, gamma[3] = gamma[2], gamma[0] = k == 2 ? 1 : gamma[0];
        fd_process p = k ? fd_ddpm_gammas(&a, noise, T, gamma) : fd_ddpm_betas(&a, noise, T, beta);
        fd_explain(&st, text, sizeof text);
        OK(!p.noise && !strcmp(text, want[k]), "explained as '%s'", text);
        st.code = 0;
    }
}

/* numbers that are known and that no other test says */
static void check_numbers(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    double lam = .7, c = .25, mu = 1.3;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process vp = fd_vp(noise, .1, 20), dd = ddpm(&a, noise, 1000, 1e-4, .02);
    fd_process hdm = fd_vp_cosine(noise), ou = fd_ou(noise, 7), dl = fd_driftless(noise, 10);
    NEAR(fd_terminal(&vp, NULL, c0, a).m, .00657, 5e-6, "VP: m(T)");
    NEAR(fd_terminal(&dd, NULL, c0, a).m, .00635, 5e-6, "DDPM: m(T)");
    NEAR(fd_terminal(&hdm, NULL, c0, a).m, .0084, 5e-5, "HDM: m(T)");
    NEAR(fd_terminal(&ou, NULL, c0, a).m, exp(-3.5), 1e-14, "OU: m(T)");
    fd_gap g = fd_terminal(&dl, NULL, c0, a);
    NEAR(g.w2, sqrt(c + 10 * lam) - sqrt(10 * lam), 1e-13, "driftless keeps the data");
    fd_coef T = fd_law(&vp, 1, 0), E = fd_law(&vp, 1e-3, 0);
    double PT = T.m * T.m * c + T.v * lam, PE = E.m * E.m * c + E.v * lam, r = PE / PT;
    double k = T.m / E.m;
    NEAR(E.m * mu, 1.299928534464, 1e-12, "law at eps: mean");
    NEAR(PE, .250049474780, 1e-12, "law at eps: variance");
    NEAR(E.m * mu - sqrt(r) * T.m * mu, 1.294822502107, 1e-12, "flow from N(0, lam): mean");
    NEAR(r * lam, .250056416913, 1e-12, "flow from N(0, lam): variance");
    NEAR(E.m * mu - k * r * T.m * mu, 1.299908478311, 1e-12, "SDE from N(0, lam): mean");
    NEAR(PE * (T.v - k * k * E.v) * lam / PT + k * k * r * r * lam, .250049474887, 1e-12,
         "SDE from N(0, lam): variance");
    NEAR(fd_gauss_logp(c0, &(fd_real){ (fd_real)mu }, &(fd_real){ (fd_real)1.9 }, a), -.945791353,
         TOL(1e-9, 1e-5), "log N(1.9; 1.3, .25)");
    NEAR(fd_gauss_logp(single_on(&a, noise, .3), &(fd_real){ (fd_real).8 },
                       &(fd_real){ (fd_real)1.9 }, a),
         -2.333618797708, TOL(1e-12, 1e-5), "log N(1.9; .8, .3)");
    /* -Laplacian p = 1, p = 0 on the boundary: in the middle .0736713513 */
    fd_space d = fd_grid(&a, 2, (int[]){ 255, 255 }, NULL, (int[]){ FD_DIRICHLET, FD_DIRICHLET },
                         1);
    fd_real *x = fd_new(&a, fd_real, fd_size(&d));
    double *inv = fd_new(&a, double, d.modes);
    fd_laplace(&d, inv, a);
    for (ptrdiff_t j = 0; j < d.modes; j++) inv[j] = 1 / inv[j];
    for (ptrdiff_t j = 0; j < fd_size(&d); j++) x[j] = 1;
    fd_cov *solve = fd_cov_table(&a, &d, inv);
    fd_cov_pow(solve, 1, 1, x, x, a);
    NEAR(x[127 * 255 + 127], .0736713513, 2e-6, "Poisson's equation with Dirichlet modes");
    /* Navier-Stokes of [FNO] from rest, forced by .1 (sin + cos)(2 pi (x + y)): nothing is
     * advected, and w is the force times (1 - exp(-8 pi^2 nu t))/(8 pi^2 nu), 2 v at t/2 of the
     * heat process; decay from w_0 is m */
    fd_space torus = fd_grid(&a, 2, (int[]){ 8, 9 }, NULL, NULL, 1);
    fd_cov *fno = fd_cov_power(&a, &torus, 2 * pow(7, 3), 7, 2.5);
    fd_process heat = fd_heat(fno, 0, 1e-3, NULL, NULL, 1e4);
    for (int i = 0; i < torus.n[0]; i++)
        for (int j = 0; j < torus.n[1]; j++)
            x[i * 9 + j] = (fd_real)(sin(2 * PI * (i / 8. + j / 9.))
                                     + cos(2 * PI * (i / 8. + j / 9.)));
    fd_to_modes(&torus, 1, x, x, a);
    int seen = 0;
    for (int q = 0; q < torus.modes; q++) {
        if (fabs(x[q]) < 1e-3) continue;
        seen++;
        NEAR(.1 * 2 * fd_law(&heat, 1e4, q).v, 1.266515, 5e-7,
             "Navier-Stokes at rest: last amplitude, mode %d", q);
        NEAR(-12.665148 / 2 / log(fd_law(&heat, 12.665148 / 2, q).m), 12.665148, 1e-6,
             "its time constant");
    }
    OK(seen == 4, "four modes, not %d", seen);
    OK(!st.code, "status");
}

/* the noise of the thesis's third algorithm as printed, Re F^-1(F(z) exp(2 pi i n)) with n ~ N(0,
 * 1) for each frequency: half the variance that it should have */
static void check_phases(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    enum { N = 64, B = 64 };
    fd_fft *fft = fd_fft_plan(&a, FD_C2C, N);
    fd_cplx *x = fd_new(&a, fd_cplx, N * B);
    fd_real *z = fd_new(&a, fd_real, 2 * N * B);
    double var = 0;
    fd_normal(fd_seed(186), 2 * N * B, z);
    for (int i = 0; i < N * B; i++) x[i].re = z[i];
    fd_fft_run(fft, -1, 1, B, N, 1, (fd_real *)x, a);
    for (int i = 0; i < N * B; i++) {
        double c = cos(2 * PI * z[N * B + i]), s = sin(2 * PI * z[N * B + i]);
        x[i] = (fd_cplx){ (fd_real)(c * x[i].re - s * x[i].im),
                          (fd_real)(s * x[i].re + c * x[i].im) };
    }
    fd_fft_run(fft, 1, 1. / N, B, N, 1, (fd_real *)x, a);
    for (int i = 0; i < N * B; i++) var += (double)x[i].re * x[i].re / (N * B);
    NEAR(var, .5, 5 * .5 * sqrt(2. / (N * B)), "variance with free phases");
    OK(!st.code, "status");
}

/* noise of pixels is another law on every grid: the variance of a mode falls by 2^d where that of a
 * function's does not; losses of noise in the Cameron-Martin norm grow with the modes, in H they do
 * not */
static void check_resolution(void)
{
    fd_status st;
    fd_arena a = test_arena(32 << 20, &st);
    enum { B = 64, K = 9 };
    double pixel[2], white[2], H[3], CM[3];
    for (int i = 0; i < 2; i++) {
        fd_arena q = a;
        int n = 8 << i;
        fd_space s = fd_grid(&q, 2, (int[]){ n, n }, NULL, NULL, 1);
        fd_cov *c = fd_cov_white(&q, &s, 1, 3);
        fd_real *x = fd_raw(&q, fd_real, 512 * fd_size(&s));
        for (int own = 0; own < 2 && x; own++) {
            double sum = 0;
            int j[3];
            if (own) fd_cov_draw(c, fd_seed(181), 0, 512, x, q);
            else fd_normal(fd_seed(182), 512 * fd_size(&s), x);
            fd_to_modes(&s, 512, x, x, q);
            for (int b = 0; b < 512; b++)
                for (ptrdiff_t k = 0; k < s.modes; k++) {
                    fd_mode(&s, k, j);
                    if (j[0] < 5 && j[1] < 5) sum += pow(x[b * s.modes + k], 2) / 512 / 25;
                }
            *(own ? &white[i] : &pixel[i]) = sum;
        }
    }
    NEAR(pixel[0] / pixel[1], 4, .15, "iid pixels on 8x8 and 16x16");
    NEAR(pixel[0], 1. / 64, .04 / 64, "iid pixels: variance of a mode");
    NEAR(white[0] / white[1], 1, 1e-4, "a law on functions");
    for (int i = 0; i < 3; i++) {
        fd_arena q = a;
        int n = 15 << 2 * i;
        fd_space s = fd_grid(&q, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
        fd_cov *c = fd_cov_exp(&q, &s, 1, .2), *d = fd_cov_exp(&q, &s, 1.7, .2);
        fd_process p = fd_vp(c, .1, 20);
        fd_model m = fd_oracle_gauss(&q, &p, NULL, d);
        fd_real *x0 = fd_raw(&q, fd_real, 4 * B * n), *x = x0 + B * n, *e = x0 + 2 * B * n;
        fd_real *y = x0 + 3 * B * n;
        double t[B], f = 0;
        for (int j = 0; j < B; j++) t[j] = .3;
        fd_cov_draw(d, fd_seed(183), 0, B, x0, q);
        fd_perturb(&p, fd_seed(184), 0, B, x0, t, x, e, q);
        fd_predict(&m, FD_NOISE, &p, B, x, t, y, q);
        for (int j = 0; j < B * n; j++) y[j] -= e[j];
        for (int norm = FD_NORM_H; norm <= FD_NORM_CM; norm++) {
            double sum = 0;
            fd_loss_weigh(&p, norm, 0, FD_NOISE, B, t, y, q);
            for (int j = 0; j < B; j++) sum += fd_inner(&s, y + j * n, y + j * n) / B;
            *(norm ? &CM[i] : &H[i]) = sum;
        }
        fd_coef g = fd_law(&p, .3, 0);
        f = g.m * g.m * 1.7 / (g.m * g.m * 1.7 + g.v);
        NEAR(CM[i], n * f, 6 * sqrt(2. / (n * B)) * n * f,
             "loss in the Cameron-Martin norm, %d points", n);
    }
    NEAR(H[1] / H[0], 1, .15, "loss in H");
    NEAR(H[2] / H[1], 1, .05, "loss in H has a limit");
    OK(!st.code, "status");
}

/* The continuity equation of flow matching, dp/dr + d(p u)/dx = 0, for a mixture of two, by
 * differences of the density. */
static void check_continuity(const fd_cov *one, const double *w, const fd_real *mu,
                             const fd_cov *const c[2], fd_arena a)
{
    fd_process fl = fd_flow(one, .05);
    fd_model ex = fd_oracle_mix(&a, &fl, 2, w, mu, c);
    for (int i = 0; i < 6 && EPS < 1e-10; i++) {
        double at = .15 + .13 * i, X = -2 + .7 * i, h = 1e-3, pu[5], pt[5];
        for (int k = 0; k < 10; k++) {                      /* five points in x, five in t */
            double tk = k < 5 ? at : at + h * (k - 7), v = 0;
            fd_real xk = (fd_real)(k < 5 ? X + h * (k - 2) : X), got;
            fd_coef f = fd_law(&fl, tk, 0);
            for (int j = 0; j < 2; j++) {
                double V = f.m * f.m * c[j]->lam[0] + f.v, d = xk - f.m * mu[j];
                v += w[j] * exp(-.5 * d * d / V) / sqrt(2 * PI * V);
            }
            fd_predict(&ex, FD_VELOCITY, &fl, 1, &xk, &tk, &got, a);
            if (k < 5) pu[k] = v * got;
            else pt[k - 5] = v;
        }
        double dx = (pu[0] - 8 * pu[1] + 8 * pu[3] - pu[4]) / (12 * h);
        double dt = (pt[0] - 8 * pt[1] + 8 * pt[3] - pt[4]) / (12 * h);
        NEAR(dx, dt, 1e-9, "continuity equation at %g, t = %g", X, at);           /* r = 1 - t */
    }
}

/* A data set is sampled from itself. */
static void check_data_set(fd_arena a)
{
    enum { N = 5, P = 7 };
    double t[101];
    fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .2, 1.5);
    fd_process p = fd_vp(noise, .1, 20);
    fd_real data[N * P], y[64 * P];
    int hit[N] = { 0 };
    fd_normal(fd_seed(191), N * P, data);
    fd_sampler how = { .p = &p, .t = t, .steps = 100, .scheme = FD_ANCESTRAL, .denoise = 1 };
    how.model = fd_oracle_data(&a, &p, N, data);
    fd_times(&p, FD_LOGSNR, 0, 100, t, a.st);
    fd_sample(&how, fd_seed(192), 0, 64, y, a);
    for (int i = 0; i < 64; i++) {
        double best = 9;
        int at = 0;
        for (int j = 0; j < N; j++) {
            double d = test_maxdiff(P, y + i * P, data + j * P);
            if (d < best) best = d, at = j;
        }
        hit[at]++;
        NEAR(best, 0, TOL(1e-9, 1e-4), "a sample is a function of the data set");
    }
    for (int j = 0; j < N; j++) OK(hit[j] > 2 && hit[j] < 30, "function %d: %d of 64", j, hit[j]);
}

/* mixtures: odds over samples of an exact sampler; equal covariances */
static void check_mixtures(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { B = 400 };
    fd_cov *one = single(&a, 1);
    fd_process vp = fd_vp(one, .1, 20);
    const fd_cov *c[2] = { single_on(&a, one, .1), single_on(&a, one, .2) };
    const fd_cov *same[2] = { one, one };
    fd_real mu[2] = { -1.5, 1 }, x[B];
    fd_coef T = fd_law(&vp, 1, 0), E = fd_law(&vp, 1e-3, 0);
    double w[2] = { .3, .7 }, t[401], W = 0, neg = 0;
    for (int i = 0; i < B; i++) {                           /* quantiles of the law at T */
        double lo = -9, hi = 9;
        for (int k = 0; k < 60; k++) {
            double mid = .5 * (lo + hi), F = 0;
            for (int j = 0; j < 2; j++)
                F += .5 * w[j]
                     * erfc(-(mid - T.m * mu[j]) / sqrt(2 * (T.m * T.m * c[j]->lam[0] + T.v)));
            if (F < (i + .5) / B) lo = mid;
            else hi = mid;
        }
        x[i] = (fd_real)lo;
    }
    fd_sampler how = { .p = &vp, .t = t, .steps = 400, .scheme = FD_PF_RK4 };
    how.model = fd_oracle_mix(&a, &vp, 2, w, mu, c);
    fd_times(&vp, FD_UNIFORM, 0, 400, t, &st);
    for (int k = 0; k < 400; k++) fd_advance(&how, t[k], t[k + 1], B, x, NULL, NULL, a);
    for (int i = 0; i < B; i++) {
        double l[2];
        for (int j = 0; j < 2; j++) {
            double V = E.m * E.m * c[j]->lam[0] + E.v, d = x[i] - E.m * mu[j];
            l[j] = w[j] * exp(-.5 * d * d / V) / sqrt(V);
        }
        W += l[0] / (l[0] + l[1]) / B, neg += (x[i] < 0) / (double)B;
    }
    NEAR(W, .3, 1e-3, "mean odds over samples");
    NEAR(neg, .308885336, 1. / B, "P(X < 0) at tmin");
    check_continuity(one, w, mu, c, a);
    /* c = lam: P = lam, S = sum W_i (m mu_i - x)/lam */
    fd_model eq = fd_oracle_mix(&a, &vp, 2, w, mu, same);
    for (int k = 0; k < 3; k++) {
        double tt = .2 + .1 * k, l[2];
        fd_real X = (fd_real)(-.8 + .7 * k), got;
        fd_coef f = fd_law(&vp, tt, 0);
        for (int j = 0; j < 2; j++) l[j] = w[j] * exp(-.5 * pow(X - f.m * mu[j], 2));
        double want = (l[0] * (f.m * mu[0] - X) + l[1] * (f.m * mu[1] - X)) / (l[0] + l[1]);
        fd_predict(&eq, FD_SCORE, &vp, 1, &X, &tt, &got, a);
        NEAR(got, want, TOL(1e-12, 1e-5), "score of a mixture with c = lam");
    }
    check_data_set(a);
    OK(!st.code, "status");
}

/* b by hand: of the physical mode; unknown ones matter where there is noise. */
static void check_own_b(int row, const fd_space *s, const fd_space *g, const fd_cov *noise,
                        fd_arena a)
{
    double *b = fd_new(&a, double, s->modes);
    fd_cov *table = fd_cov_table(&a, s, noise->lam);
    for (ptrdiff_t k = 0; k < s->modes; k++) b[k] = .2 + .1 * (double)k;
    fd_process q = fd_fdp(&a, table, .1, 5, b);
    fd_process r = fd_process_on(&a, &q, g), back = r.law ? fd_process_on(&a, &r, s) : r;
    int seen = 0;
    for (ptrdiff_t k = 0; k < s->modes && back.law; k++) {
        if (!(back.noise->lam[k] > 0)) continue;
        fd_coef x = fd_law(&q, .41, k), y = fd_law(&back, .41, k);
        OK(x.m == y.m && x.v == y.v && x.dv == y.dv, "row %d, mode %d: there and back", row,
           (int)k);
        seen++;
    }
    for (ptrdiff_t k = 0; k < g->modes && r.law; k++) {
        int x[3], y[3];
        fd_mode(g, k, x);
        for (ptrdiff_t l = 0; l < s->modes; l++) {
            if (fd_mode(s, l, y) || x[0] != y[0] || (s->nd > 1 && x[1] != y[1])) continue;
            if (r.noise->lam[k] > 0)
                OK(fd_law(&r, .3, k).m == fd_law(&q, .3, l).m, "row %d: b of mode %d", row, (int)k);
        }
    }
    OK(!a.st->code && seen > 2, "status, %d modes", seen);
    q = fd_fdp(&a, noise, .1, 5, b);
    r = fd_process_on(&a, &q, g);
    int more = 0;
    for (int l = 0; l < s->nd; l++) more |= g->n[l] > s->n[l];
    OK(more ? a.st->code == FD_EARG && !r.law : !a.st->code && r.law,
       "row %d: modes that b does not say", row);
    a.st->code = 0;
}

/* A process made on one grid and carried to another has the law of one made there. */
static void check_process_on(void)
{
    fd_status st;
    fd_arena all = test_arena(8 << 20, &st);
    static const struct { int nd, bc[2], from[2], to[2]; } row[] = {
        { 1, { FD_PERIODIC, 0 }, { 7, 0 }, { 16, 0 } },
        { 1, { FD_PERIODIC, 0 }, { 16, 0 }, { 7, 0 } },
        { 1, { FD_DIRICHLET, 0 }, { 5, 0 }, { 9, 0 } },
        { 2, { FD_NEUMANN, FD_PERIODIC }, { 4, 6 }, { 5, 9 } },
        { 2, { FD_MIXED, FD_PERIODIC }, { 6, 8 }, { 6, 4 } } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fd_arena a = all;
        fd_space s = fd_grid(&a, row[i].nd, row[i].from, NULL, row[i].bc, 1);
        fd_space g = fd_grid(&a, row[i].nd, row[i].to, NULL, row[i].bc, 1);
        fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5);
        fd_cov *there = fd_cov_matern(&a, &g, 1, .3, 1.5);
        fd_process p[NEW], want[NEW];
        new_processes(&a, there, want);
        fd_process base = blurred_base;
        want[6].self = &base;
        new_processes(&a, noise, p);
        for (int j = 0; j < NEW; j++) {
            if (j == 3) continue;                           /* given b: below */
            fd_arena m = a;
            p[j].tmin = .03 * p[j].tmax;
            fd_process q = fd_process_on(&m, &p[j], &g);
            double worst = 0;
            if (j == 6) memset(&blurred_base, 0, sizeof blurred_base);        /* it has a copy */
            OK(q.law && q.noise->s.points == g.points && q.tmin == p[j].tmin && q.tmax == p[j].tmax,
               "%s on another grid", new_name[j]);
            for (ptrdiff_t k = 0; k < g.modes && q.law; k++) {
                fd_coef x = fd_law(&q, .41 * q.tmax, k), y = fd_law(&want[j], .41 * q.tmax, k);
                worst = maxf(worst, fabs(x.m - y.m) + fabs(x.v - y.v) + fabs(x.dm - y.dm)
                             + fabs(x.dv - y.dv));
                worst = maxf(worst, fabs(q.noise->lam[k] - there->lam[k]));
            }
            NEAR(worst, 0, 1e-13, "row %d, %s: the law on another grid", (int)i, new_name[j]);
        }
        check_own_b((int)i, &s, &g, noise, a);
        fd_process own = p[0];
        own.modal = 2;
        fd_process r = fd_process_on(&a, &own, &g);
        OK(st.code == FD_EARG && !r.law, "a law by number");
        st.code = 0;
        fd_space other = fd_grid(&a, row[i].nd, row[i].to, (double[]){ 2, 2 }, row[i].bc, 1);
        r = fd_process_on(&a, &p[0], &other);
        OK(st.code == FD_ESHAPE && !r.law, "another domain: code %d", st.code);
        st.code = 0;
    }
}

/* Ratio of the steps from n to 2n to 4n points: 2^p for a sum of k^(p - 1). */
static void check_growth(fd_arena all)
{
    static const struct { double noise, data, trace, member, feldman; } rows[] = {
        { .5, 1.5, .5, .5, .125 },              /* smoother data: k^-2, and k^-4 */
        { 1.5, .5, .125, 8, 32 },               /* rougher data: k^2, k^4 */
        { 1.5, 1.5, .125, 2, 2 },               /* equally smooth: 1 each, so singular */
        { 0, 1.5, 2, .125, .0078125 },          /* white noise has no trace: 1; k^-4, k^-8 */
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        fd_conditions q[3];
        for (int i = 0; i < 3; i++) {
            fd_arena a = all;
            int n = 64 << i;
            fd_space z = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
            fd_cov *noise = rows[r].noise > 0 ? fd_cov_matern(&a, &z, 1, .2, rows[r].noise)
                : fd_cov_white(&a, &z, 1, 0);
            fd_process p = fd_vp(noise, .1, 20);
            q[i] = fd_conditions_at(&p, NULL, fd_cov_matern(&a, &z, 1, .3, rows[r].data), .1, a);
        }
        double up[3] = { q[1].trace - q[0].trace, q[1].member - q[0].member, q[1].feldman
                         - q[0].feldman };
        double on[3] = { q[2].trace - q[1].trace, q[2].member - q[1].member, q[2].feldman
                         - q[1].feldman };
        const double want[3] = { rows[r].trace, rows[r].member, rows[r].feldman };
        for (int i = 0; i < 3; i++)
            NEAR(on[i] / up[i], want[i], .08 * want[i], "noise %g, data %g: sum %d", rows[r].noise,
                 rows[r].data, i);
    }
}

/* the conditions as sums: each of them written anew, and how they go with the number of points for
 * Matern spectra k^-(2 nu + 1) */
static void check_conditions(void)
{
    enum { N = 16, CH = 2 };
    fd_status st;
    fd_arena all = test_arena(1 << 22, &st);
    fd_arena a = all;
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, CH);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .1, .5), *c0 = fd_cov_matern(&a, &s, 2, .3, 1.5);
    fd_process ps[2] = { fd_vp(C, .1, 20), fd_heat(C, .5, .03, NULL, NULL, 2) };
    fd_real mean[CH * N];
    double mu[N], t = .4, w = acos(-1);
    fd_laplace(&s, mu, a);
    for (int i = 0; i < CH * N; i++) mean[i] = (fd_real)(i < N ? cos(2 * w * (i + .5) / N) : .5);
    for (int k = 0; k < 2; k++) {
        fd_conditions g = fd_conditions_at(&ps[k], mean, c0, t, a), q = { 0 };
        for (int j = 0; j < N; j++) {
            double A = .5 + .03 * mu[j], B = .1 * t + 19.9 * t * t / 2, rate = .1 + 19.9 * t;
            double m = k ? exp(-A * t) : exp(-.5 * B), v = k ? (1 - m * m) / (2 * A) : 1 - m * m,
                at = k ? A : .5 * rate;
            double lam = C->lam[j], c = c0->lam[j], m2 = j == 2 ? .5 : j == 0 ? .25 : 0, Q = k ? 1
                : rate;
            q.trace += CH * lam, q.square += CH * lam * lam, q.data += CH * c + m2;
            q.mean += m2 / lam, q.member += (CH * c + m2) / lam, q.shift += m * m * m2 / (v * lam);
            q.feldman += CH * pow((m * m * c + v * lam) / (v * lam) - 1, 2);
            q.start += at * at * (CH * c + m2), q.smooth += CH * at * at * Q * lam,
                q.most = fmax(q.most, at);
            q.drift += CH * at * at * (m * m * c + v * lam), q.ratio = fmax(q.ratio, at * at / lam);
        }
        const double got[] = { g.trace, g.square, g.data, g.mean, g.member, g.feldman, g.shift,
                               g.start, g.smooth, g.most, g.drift, g.ratio };
        const double want[] = { q.trace, q.square, q.data, q.mean, q.member, q.feldman, q.shift,
                                q.start, q.smooth, q.most, q.drift, q.ratio };
        for (int i = 0; i < 12; i++)
            NEAR(got[i], want[i], TOL(1e-12, 1e-5) * (1 + fabs(want[i])),
                 "process %d, condition %d", k, i);
        OK(g.bare == 0 && !st.code, "all modes have noise");
    }
    fd_cov *band = fd_cov_white(&a, &s, 1, 2);
    fd_process few = fd_vp(band, .1, 20);
    fd_conditions g = fd_conditions_at(&few, mean, c0, t, a);
    OK(g.bare > 0 && isinf(g.feldman) && isinf(g.member) && isfinite(g.trace) && isfinite(g.mean),
       "data beyond the noise: %g", g.bare);
    check_growth(all);
    a = all;
    int n = 64;
    fd_space z = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *smooth = fd_cov_rbf(&a, &z, 1, .2);
    fd_process p = fd_vp(smooth, .1, 20);
    g = fd_conditions_at(&p, NULL, smooth, .1, a);
    NEAR(g.trace, fd_cov_trace(smooth), 1e-12, "the trace of a Gaussian kernel");
    OK(!st.code, "conditions: %s", st.code ? st.what : "");
    fd_conditions_at(&ps[0], NULL, smooth, .1, a);
    OK(st.code == FD_ESHAPE, "conditions of other modes");
}

void test_laws(void)
{
    check_schedules();
    check_derivatives();
    check_fdp();
    check_heat_blur();
    check_terminal();
    check_conditions();
    check_numbers();
    check_phases();
    check_resolution();
    check_mixtures();
    check_process_on();
}

/* ---- losses ---- */

/* what another model predicts, said as another kind; vjp of v-predictions on scalar processes */
typedef struct { fd_model of; const fd_process *p; int kind; } as_kind;

static void as_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                    fd_real *y, fd_arena scratch)
{
    const as_kind *k = self;
    (void)s;
    fd_predict(&k->of, k->kind, k->p, b, x, t, y, scratch);
}

/* V = (m/s) x - (m^2 + s^2)/s D */
static void as_vjp(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                   const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    const as_kind *k = self;
    ptrdiff_t n = fd_size(s);
    k->of.vjp(k->of.self, s, b, x, t, dy, dx, scratch);
    for (ptrdiff_t i = 0; i < b * n; i++) {
        fd_coef c = fd_law(k->p, t[i / n], 0);
        double sd = sqrt(c.v);
        dx[i] = (fd_real)(c.m / sd * dy[i] - (c.m * c.m + c.v) / sd * dx[i]);
    }
}

static void check_kinds(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { B = 2 };
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 3 }, NULL, NULL, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .2, 1), *data = fd_cov_matern(&a, &s, 1, .3, 2);
    fd_process p[NEW];
    ptrdiff_t n = B * fd_size(&s);
    fd_real *x0 = fd_new(&a, fd_real, n), *e = fd_new(&a, fd_real, n), *x = fd_new(&a, fd_real, n);
    fd_real *y = fd_new(&a, fd_real, n), *z = fd_new(&a, fd_real, n);
    new_processes(&a, noise, p);
    fd_normal(fd_seed(41), n, x0);
    for (int i = 0; i < NEW; i++) {
        double t[B] = { .4 * p[i].tmax, .23 * p[i].tmax }, least = 1, cond = 1;
        for (ptrdiff_t k = 0; k < s.modes; k++) {
            fd_coef c = fd_law(&p[i], t[0], k);
            if (c.m < least) least = c.m;
            cond = maxf(cond, noise->lam[0] / noise->lam[k]);
        }
        fd_perturb(&p[i], fd_seed(42), 0, B, x0, t, x, e, a);
        for (int from = FD_X0; from <= FD_SCORE_FULL; from++)
            for (int to = FD_X0; to <= FD_SCORE_FULL; to++) {
                if (least < TOL(1e-6, 1e-2)) continue;
                fd_target(&p[i], from, B, x0, e, t, y, a);
                fd_target(&p[i], to, B, x0, e, t, z, a);
                fd_convert(&p[i], from, to, B, x, t, y, a);
                NEAR(test_rel(n, y, z), 0, 2e3 * EPS * cond / least, "%s %d to %d", new_name[i],
                     from, to);
            }
        fd_target(&p[i], FD_SCORE, B, x0, e, t, y, a);
        for (int h = 1; h <= 2; h++) {
            fd_target(&p[i], FD_VELOCITY + h, B, x0, e, t, z, a);
            fd_cov_pow(noise, .5 * h, B, z, z, a);
            NEAR(test_rel(n, z, y), 0, 30 * EPS * cond, "%s: C^p C^-p s", new_name[i]);
        }
    }
    fd_process vp = fd_vp(noise, .1, 20);
        /* a model of each kind is the same model */
    double t[B] = { .31, .12 };
    fd_model m = fd_oracle_gauss(&a, &vp, NULL, data);
    fd_predict(&m, FD_X0, &vp, B, x, t, z, a);
    for (int kind = FD_X0; kind <= FD_SCORE_FULL; kind++) {
        as_kind k = { m, &vp, kind };
        fd_model mk = { kind, as_eval, NULL, NULL, &k, NULL };
        fd_predict(&mk, FD_X0, &vp, B, x, t, y, a);
        NEAR(test_rel(n, y, z), 0, TOL(1e-12, 1e-4), "a model that predicts kind %d", kind);
    }
    OK(!st.code, "status");
    OK(fd_time_weight(&vp, FD_W_X0, FD_SCORE_HALF, .3, &st) == 0 && st.code == FD_EARG,
       "no one weight of C^-1/2 s");
    st.code = 0;
    fd_space ev = fd_grid(&a, 1, (int[]){ 4 }, NULL, NULL, 1);
    fd_process q = fd_vp(fd_cov_matern(&a, &ev, 1, .3, 1), .1, 20);
    fd_real alt[4] = { 1, -1, 1, -1 }, keep[4] = { 1, -1, 1, -1 }, zero[4] = { 0 };
    fd_convert(&q, FD_SCORE, FD_SCORE_HALF, 1, zero, t, alt, a);
    OK(st.code == FD_EDATA && !memcmp(alt, keep, sizeof alt), "a Nyquist mode has no C^-1/2");
    st.code = 0;
    fd_convert(&q, FD_X0, FD_SCORE_FULL, 1, zero, t, alt, a);
    OK(st.code == FD_EDATA && !memcmp(alt, keep, sizeof alt), "nor C^-1; the output is as it was");
    st.code = 0;
}

/* The weight of a mode: as in the tables of fd.h. */
static double weight_of(int norm, int kind, fd_coef c, double lam, double mu)
{
    double q = q_of(c), sd = sqrt(c.v);
    double d = kind == FD_X0 ? 1 : kind == FD_NOISE ? c.m / sd
             : kind == FD_V ? (c.m * c.m + c.v) / sd
             : kind == FD_VELOCITY ? c.dm - .5 * c.m * c.dv / c.v : c.m / c.v;
    double w = norm == FD_NORM_CM ? 1 / lam
             : norm == FD_NORM_STATIONARY ? -2 * c.dm / c.m / q / lam
             : norm == FD_NORM_SOBOLEV ? pow(1 + mu, 1.5)
             : norm == FD_NORM_LIKELIHOOD ? .5 * q * c.m * c.m / (c.v * c.v * lam) / (d * d) : 1;
    if (kind > FD_VELOCITY) w *= pow(lam, kind - FD_VELOCITY);
    if (lam > 0) return w;
    return kind <= FD_VELOCITY && (norm == FD_NORM_H || norm == FD_NORM_SOBOLEV) ? w : 0;
}

/* What has no weight. */
static void check_norms_wrong(const fd_process *p, ptrdiff_t n, const fd_real *x, fd_real *y,
                              fd_arena a)
{
    fd_loss_weigh(p, 9, 0, FD_X0, 1, (double[]){ .3 }, y, a);
    OK(a.st->code == FD_EARG, "no such norm");
    a.st->code = 0;
    OK(!fd_loss_norm(&a, p, FD_NORM_H, 0, 9, .3) && a.st->code == FD_EARG, "no such kind");
    a.st->code = 0;
    memcpy(y, x, (size_t)n * sizeof *y);
    fd_loss_weigh(p, FD_NORM_LIKELIHOOD, 0, FD_X0, 1, (double[]){ 1 }, y, a);
    OK(a.st->code == FD_EARG && !memcmp(x, y, (size_t)n * sizeof *y),
       "m = 0: no likelihood weight");
    char text[200];
    fd_explain(a.st, text, sizeof text);
    OK(!strcmp(text, "fd_loss_weigh: no such weight at this t: m, v or q is 0"),
       "explained as '%s'", text);
    a.st->code = 0;
}

static void check_norms(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    enum { B = 2 };
    fd_space s = fd_grid(&a, 2, (int[]){ 4, 5 }, NULL, NULL, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1.3, .2, 1);
    ptrdiff_t n = fd_size(&s), M = s.modes;
    fd_process p[NEW + 2];
    double *mu = fd_new(&a, double, M);
    fd_real *x = fd_new(&a, fd_real, B * n), *y = fd_new(&a, fd_real, B * n),
        *u = fd_new(&a, fd_real, B * n);
    new_processes(&a, noise, p);
    p[NEW] = fd_ou(noise, 3), p[NEW + 1] = fd_driftless(noise, 9);
    fd_laplace(&s, mu, a);
    fd_normal(fd_seed(43), B * n, x);
    fd_to_modes(&s, B, x, u, a);
    for (int i = 0; i < NEW + 2; i++)
        for (int norm = FD_NORM_H; norm <= FD_NORM_LIKELIHOOD; norm++)
            for (int kind = FD_X0; kind <= FD_SCORE_FULL; kind++) {
                fd_arena b = a;
                double t[B] = { .4 * p[i].tmax, .23 * p[i].tmax }, worst = 0, worst2 = 0, top = 0;
                if (i == 8 && (norm == FD_NORM_STATIONARY || norm == FD_NORM_LIKELIHOOD)) continue;
                if (i == 3 && norm == FD_NORM_LIKELIHOOD) continue;
                memcpy(y, x, (size_t)(B * n) * sizeof *y);
                fd_loss_weigh(&p[i], norm, 1.5, kind, B, t, y, a);
                fd_cov *W = fd_loss_norm(&b, &p[i], norm, 1.5, kind, t[0]);
                if (!W || st.code) { OK(0, "%s, norm %d, kind %d: %s", i < NEW ? new_name[i] : "-",
                                        norm, kind, st.what); return; }
                fd_to_modes(&s, B, y, y, b);
                for (ptrdiff_t j = 0; j < B * n; j++) {
                    ptrdiff_t k = j % M;
                    fd_coef c = fd_law(&p[i], t[j / n], k);
                    double lam = noise->lam[k], w = weight_of(norm, kind, c, lam, mu[k]);
                    worst = maxf(worst, fabs(sqrt(w) * u[j] - y[j]));
                    top = maxf(top, fabs(sqrt(w) * u[j]));
                    if (j < M) worst2 = maxf(worst2, fabs((lam > 0 ? w : 0) - W->lam[k])
                                             / (w + 1e-300));
                }
                NEAR(worst / maxf(top, 1e-30), 0, TOL(1e-12, 1e-5), "%s, norm %d, kind %d",
                     i < NEW ? new_name[i] : "-", norm, kind);
                NEAR(worst2, 0, 1e-10, "fd_loss_norm");
            }
    /* the names: b/r of FDP; the stationary law of OU is C; Girsanov: the same for all kinds */
    fd_cov *W = fd_loss_norm(&a, &p[2], FD_NORM_STATIONARY, 0, FD_X0, .4);
    fd_cov *C = fd_loss_norm(&a, &p[NEW], FD_NORM_STATIONARY, 0, FD_X0, .4);
    for (ptrdiff_t k = 0; k < M && W && C; k++) {
        if (noise->lam[k] == 0) continue;
        NEAR(W->lam[k] * noise->lam[k], fdp_b(waves2(&s, k)), 1e-12, "b/r");
        NEAR(C->lam[k] * noise->lam[k], 1, 1e-12, "OU");
    }
    OK(!st.code, "status");
    check_norms_wrong(&p[0], n, x, y, a);
}

/* the KL of a step of a chain: between Gaussians of one covariance, by hand; KER's weight; the
 * bound */
static void check_chain_kl(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    double lam = .7, c = .25, mu = 1.3, x0 = 1.9, gap[2], beta[400];
    fd_cov *noise = single(&a, lam);
    fd_process p = ddpm(&a, noise, 10, 1e-3, .3), lad = fd_ladder(noise, .01, 3, 6);
    for (int t = 1; t <= 10; t++) {
        double b = 1e-3 + (.3 - 1e-3) * (t - 1) / 9, g = pow(fd_law(&p, t, 0).m, 2);
        double g1 = pow(fd_law(&p, t - 1, 0).m, 2), bt = t > 1 ? b * (1 - g1) / (1 - g) : b;
        double w = b * b / (2 * bt * (1 - b) * (1 - g)) / lam, r = fd_law(&p, t, 0).m / sqrt(1 - g);
        for (int kind = FD_X0; kind <= FD_NOISE; kind++) {
            fd_cov *W = fd_loss_norm(&a, &p, FD_NORM_STEP, 0, kind, t);
            double want = kind == FD_NOISE ? w : w * r * r;
            if (W) NEAR(W->lam[0], want, 1e-11 * want, "step %d, kind %d", t, kind);
        }
        fd_real e = (fd_real).4;
        fd_loss_weigh(&p, FD_NORM_STEP, 0, FD_NOISE, 1, (double[]){ t }, &e, a);
        NEAR(e, .4 * sqrt(w), TOL(1e-12, 1e-5) * sqrt(w), "as fd_loss_weigh");
    }
    fd_cov *W = fd_loss_norm(&a, &lad, FD_NORM_STEP, 0, FD_X0, 4);
    fd_cov *W1 = fd_loss_norm(&a, &lad, FD_NORM_STEP, 0, FD_X0, 1);
    double v3 = .01 * pow(300, 2 / 5.), v4 = .01 * pow(300, 3 / 5.);
    if (W && W1) NEAR(W->lam[0], (1 / v3 - 1 / v4) / (2 * lam), 1e-10, "a ladder");
    if (W && W1) NEAR(W1->lam[0], 1 / (2 * .01 * lam), 1e-10, "its last level");
    /* KL(x_T | N(0, lam)) + sum_t w E (D - x0)^2 + log(2 pi beta_1 lam)/2 >= -log N(x0; mu, c), and
     * the gap falls with the number of steps */
    for (int k = 0; k < 2; k++) {
        int T = k ? 400 : 40;
        fd_beta_schedule(FD_BETA_LINEAR, T, .1 / T, 20. / T, beta, &st);
        fd_process q = fd_ddpm_betas(&a, noise, T, beta);
        fd_coef f = fd_law(&q, T, 0);
        double nll = .5 * (f.v - 1 - log(f.v) + pow(f.m * x0, 2) / lam);
        for (int t = 1; t <= T; t++) {
            fd_arena b = a;
            fd_cov *w = fd_loss_norm(&b, &q, FD_NORM_STEP, 0, FD_X0, t);
            f = fd_law(&q, t, 0);
            double v = f.v * lam, P = f.m * f.m * c + v;
            if (w) nll += w->lam[0] * (pow(v * (mu - x0) / P, 2) + pow(c * f.m / P, 2) * v);
        }
        nll += .5 * log(2 * PI * beta[0] * lam);
        gap[k] = nll - .5 * (log(2 * PI * c) + pow(x0 - mu, 2) / c);
    }
    OK(gap[1] > 0 && gap[1] < gap[0] / 4, "the bound of a chain: gaps %g, %g", gap[0], gap[1]);
    OK(!st.code, "status");
    fd_process vp = fd_vp(noise, .1, 20);
    char text[200];
    fd_loss_norm(&a, &vp, FD_NORM_STEP, 0, FD_X0, .5);
    fd_explain(&st, text, sizeof text);
    OK(!strcmp(text, "fd_loss_norm: this norm is for chains"), "explained as '%s'", text);
}

/* floors of the score: in H sum lam m^2 c/P/v, in H_C without lam, which is infinite in the limit
 * unless data lie in the Cameron-Martin space */
static void check_score_floor(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    double lam = .7, c = .3, t[3] = { .31, .31, .31 };
    fd_cov *noise = single(&a, lam);
    fd_process p = fd_vp(noise, .1, 20);
    fd_coef f = fd_law(&p, t[0], 0);
    double P = f.m * f.m * c + f.v * lam, H = lam * f.m * f.m * c / P / f.v;
    fd_model m = fd_oracle_gauss(&a, &p, NULL, single_on(&a, noise, c));
    for (int kind = FD_SCORE; kind <= FD_SCORE_FULL; kind += kind == FD_SCORE ? 3 : 1)
        for (int norm = FD_NORM_H; norm <= FD_NORM_CM; norm++) {
            fd_real x0[2] = { 1, 0 }, e[2] = { 0, 1 }, x[2], y[2], z[2];
            for (int i = 0; i < 2; i++) x[i] = (fd_real)(f.m * x0[i] + sqrt(f.v) * e[i]);
            fd_target(&p, kind, 2, x0, e, t, y, a);
            fd_predict(&m, kind, &p, 2, x, t, z, a);
            for (int i = 0; i < 2; i++) y[i] -= z[i];
            fd_loss_weigh(&p, norm, 0, kind, 2, t, y, a);
            NEAR(y[0] * y[0] * c + y[1] * y[1] * lam, norm == FD_NORM_H ? H : H / lam,
                 TOL(1e-12, 1e-5), "score floor, kind %d, norm %d", kind, norm);
        }
    OK(!st.code, "status");
}

/* One mode: the closed form of its cdf; what it saves, by quadrature and by drawing. */
static void check_time_law_mode(const fd_process *p, const fd_cov *c0, int norm, fd_arena a)
{
    enum { B = 20000 };
    const double c = c0->lam[0], lam = p->noise->lam[0], T = p->tmax, e = p->tmin;
    double *t = fd_new(&a, double, B), *w = fd_new(&a, double, B);
    fd_time_law *law = fd_time_law_new(&a, p, c0, norm, 0, FD_X0);
    /* P = c + lam t: H: c lam t/P; likelihood: that/(2 t^2 lam), int 1/tP dt = log(t/P)/c */
    double worst = 0, F[2] = { 0, 0 };
    for (int i = 0; i <= law->n; i++) {
        double at[3] = { law->t[i], e, T };
        for (int j = 0; j < 3; j++) {
            double P = c + lam * at[j];
            double I = norm ? log(at[j] / P) : at[j] - c / lam * log(P);
            if (j == 0) F[0] = I;
            else if (j == 1) F[0] -= I, F[1] = -I;
            else F[1] += I;
        }
        worst = maxf(worst, fabs(law->cdf[i] - F[0] / F[1]));
    }
    NEAR(worst, 0, 2e-5, "cdf of the optimal law, norm %d", norm);
    fd_time_draw(law, fd_seed(51), 3, B, t, w);
    double m = 0, m2 = 0, u = 0, u2 = 0, exact = 0, sq = 0;
    float z[4];
    for (int i = 0; i < B; i++) {
        double tu[2] = { t[i], e + (T - e) * (i + .5) / B };
        for (int k = 0; k < 2; k++) {
            double P = c + lam * tu[k], floor = c * lam * tu[k] / P
                * (norm ? .5 / (tu[k] * tu[k] * lam) : 1);
            fd_normal4(fd_seed(52), (uint32_t[4]){ (uint32_t)(2 * i + k), 0, 0, 0 }, z);
            double one = floor * (double)z[0] * (double)z[0];         /* the loss of a pair */
            double L = one * (k ? 1 : w[i]);
            if (k) u += L / B, u2 += L * L / B;
            else m += L / B, m2 += L * L / B;
        }
    }
    for (int i = 0; i < 200000; i++) {                  /* exact moments, in log t */
        double x = log(e) + log(T / e) * (i + .5) / 200000, at = exp(x), P = c + lam * at;
        double f = c * lam * at / P * (norm ? .5 / (at * at * lam) : 1),
            dt = at * log(T / e) / 200000;
        exact += f * dt / (T - e), sq += 3 * f * f * dt / (T - e);
    }
    double best = 2 * exact * exact, plain = sq - exact * exact;   /* E L^2 = 3 (E f)^2 */
    NEAR(m, exact, 5 * sqrt(best / B), "weighted mean, norm %d", norm);
    NEAR((m2 - m * m) / best, 1, .1, "variance under the optimal law, norm %d", norm);
    OK(plain >= best * (1 - 1e-6), "never worse");
    if (!norm) NEAR((u2 - u * u) / plain, 1, .1, "variance under the uniform law");
    if (norm) OK(plain / best > 100, "likelihood weight: variance saved %g", plain / best);
    fd_time_draw(law, fd_seed(51), 13, 5, t, w);
    double t2[5], w2[5];
    fd_time_draw(law, fd_seed(51), 3, B, t, w);
    fd_time_draw(law, fd_seed(51), 13, 5, t2, w2);
    OK(!memcmp(t2, t + 10, sizeof t2) && !memcmp(w2, w + 10, sizeof w2), "element first + i");
    double in = 0;
    for (int i = 0; i < B; i++) in += t[i] < e || t[i] > T;
    OK(in == 0, "range");
}

/* Many modes and channels: the law has the sum of squares. */
static void check_time_law_modes(const fd_cov *n5, const fd_cov *c5, fd_arena a)
{
    fd_process vp = fd_vp(n5, .1, 20);
    fd_time_law *law = fd_time_law_new(&a, &vp, c5, FD_NORM_CM, 0, FD_SCORE_HALF);
    double dens[2];
    for (int i = 0; i < 2; i++) {
        int cell = i ? 300 : 40;
        fd_coef f = fd_law(&vp, .5 * (law->t[cell] + law->t[cell + 1]), 0);
        double a1 = 0, a2 = 0;
        for (int k = 0; k < 5; k++) {
            double x = f.m * f.m / (f.v * f.v) * c5->lam[k] * f.v
                / (f.m * f.m * c5->lam[k] + f.v * n5->lam[k]);
            a1 += x, a2 += x * x;
        }
        dens[i] = (law->cdf[cell + 1] - law->cdf[cell]) / (law->t[cell + 1] - law->t[cell])
                / sqrt(4 * a1 * a1 + 4 * a2);
    }
    NEAR(dens[0] / dens[1], 1, 1e-9, "E loss^2 over modes and channels");
    double all = 0, part = 0;                               /* the whole table, two channels */
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < law->n; i++) {
            double at = .5 * (law->t[i] + law->t[i + 1]), a1 = 0, a2 = 0;
            fd_coef f = fd_law(&vp, at, 0);
            for (int k = 0; k < 5; k++) {
                double P = f.m * f.m * c5->lam[k] + f.v * n5->lam[k];
                double q = f.m * f.m / f.v * c5->lam[k] / P;
                a1 += q, a2 += q * q;
            }
            double mass = sqrt(4 * a1 * a1 + 4 * a2) * (law->t[i + 1] - law->t[i]);
            if (pass == 0) all += mass;
            else NEAR(law->cdf[i + 1], (part += mass) / all, 1e-11, "cell %d", i);
        }
}

/* the optimal law of t: closed forms for one mode; what it saves, by quadrature and by drawing */
static void check_time_law(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    enum { B = 20000 };
    double c = .3, lam = .7, *t = fd_new(&a, double, B), *w = fd_new(&a, double, B), T = 100,
        e = 1e-2;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process p = fd_driftless(noise, T);
    p.tmin = e;
    for (int norm = FD_NORM_H; norm <= FD_NORM_LIKELIHOOD; norm += FD_NORM_LIKELIHOOD) {
        check_time_law_mode(&p, c0, norm, a);
    }
    /* a chain: whole steps, sum of weights */
    fd_process dd = ddpm(&a, noise, 10, 1e-3, .3);
    fd_time_law *law = fd_time_law_new(&a, &dd, c0, FD_NORM_H, 0, FD_NOISE);
    fd_time_draw(law, fd_seed(53), 0, B, t, w);
    double sum = 0, seen[11] = { 0 };
    for (int i = 0; i < B; i++) {
        OK(t[i] == floor(t[i]) && t[i] >= 1 && t[i] <= 10, "whole");
        sum += w[i] / B, seen[(int)t[i]] += 1. / B;
    }
    NEAR(sum, 1, .05, "mean weight");
    double F[11] = { 0 };
    for (int k = 1; k <= 10; k++) {
        fd_coef f = fd_law(&dd, k, 0);
        F[k] = f.m * f.m * c * lam / (f.m * f.m * c + f.v * lam);
        F[0] += F[k];
    }
    for (int k = 1; k <= 10; k++) NEAR(seen[k], F[k] / F[0], .02, "chain: t = %d", k);
    OK(law->n == 10 && law->whole && law->t[0] == 0 && law->t[10] == 10,
       "a cell for each level, 1 to T");
    for (int k = 1; k <= 10; k++)
        NEAR(law->cdf[k] - law->cdf[k - 1], F[k] / F[0], 1e-12, "chain: odds of t = %d", k);
    for (int i = 0; i < 100; i++) NEAR(w[i] * 10 * F[(int)t[i]] / F[0], 1, 1e-11, "chain: weight");
    fd_space s = fd_grid(&a, 1, (int[]){ 5 }, NULL, NULL, 2);
    fd_cov *n5 = fd_cov_matern(&a, &s, 1, .3, 1), *c5 = fd_cov_matern(&a, &s, 1, .2, 2);
    check_time_law_modes(n5, c5, a);
    OK(!st.code, "status");
    OK(!fd_time_law_new(&a, &p, c5, FD_NORM_H, 0, FD_X0) && st.code == FD_ESHAPE, "other modes");
    st.code = 0;
    OK(!fd_time_law_new(&a, &p, single_on(&a, noise, 0), FD_NORM_H, 0, FD_X0) && st.code == FD_EARG,
       "no loss");
    fd_time_draw(NULL, fd_seed(1), 0, 1, t, w);
}

void test_losses(void)
{
    check_kinds();
    check_norms();
    check_chain_kl();
    check_score_floor();
    check_time_law();
}

/* ---- steps ---- */

/* geometric Brownian motion and two additive equations */
static void gbm_f(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)t;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)(((const double *)self)[0] * x[i]);
}
static void gbm_g(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)t;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)(((const double *)self)[1] * x[i]);
}
static void gbm_dg(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)t, (void)x;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)((const double *)self)[1];
}
static void add_f(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)self;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)(sin((double)x[i]) - t * x[i]);
}
static void add_g(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)self, (void)x;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)sqrt(1.3 + t);
}
static void add_dg(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)self, (void)x, (void)t;
    memset(y, 0, (size_t)n * sizeof *y);
}

static void check_sde(void)
{
    fd_status st;
    fd_arena a = test_arena(32 << 20, &st);
    enum { B = 2000, N = 256 };
    static const double prm[2] = { .6, .8 }, want[3] = { .5, 1, 1 };
    fd_real *z = fd_new(&a, fd_real, N * B), *x = fd_new(&a, fd_real, B),
        *dW = fd_new(&a, fd_real, B);
    fd_real *y = fd_new(&a, fd_real, B);
    fd_sde gbm = { gbm_f, gbm_g, gbm_dg, prm }, add = { add_f, add_g, add_dg, NULL };
    fd_normal(fd_seed(61), N * B, z);
    for (int scheme = FD_SDE_EULER; scheme <= FD_SDE_PLATEN; scheme++) {
        double err[3] = { 0 };
        for (int level = 0; level < 3; level++) {
            int n = 64 << level, each = N / n;
            for (int i = 0; i < B; i++) x[i] = 1;
            for (int k = 0; k < n; k++) {
                for (int i = 0; i < B; i++) {
                    double w = 0;
                    for (int j = 0; j < each; j++) w += z[(k * each + j) * B + i];
                    dW[i] = (fd_real)(w / sqrt(N));
                }
                fd_sde_step(&gbm, scheme, (double)k / n, 1. / n, B, x, dW, a);
            }
            for (int i = 0; i < B; i++) {
                double W = 0;
                for (int j = 0; j < N; j++) W += z[j * B + i] / sqrt(N);
                err[level] += fabs(x[i] - exp(.6 - .32 + .8 * W)) / B;
            }
        }
        NEAR(.5 * log2(err[0] / err[2]), want[scheme], .1,
             "strong order of scheme %d (errors %g, %g)", scheme, err[0], err[2]);
    }
    /* one step by the formulas */
    fd_real one = (fd_real)1.7, w = (fd_real).3, X;
    double h = .04, dw = w, x0 = one, f = .6 * x0, g = .8 * x0, up = x0 + f * h + g * .2;
    const double step[3] = { x0 + f * h + g * dw, x0 + f * h + g * dw + .5 * g * .8 * (dw * dw - h),
                             x0 + f * h + g * dw + (.8 * up - g) * (dw * dw - h) / .4 };
    for (int scheme = 0; scheme < 3; scheme++) {
        X = one;
        fd_sde_step(&gbm, scheme, 0, h, 1, &X, &w, a);
        NEAR(X, step[scheme], 10 * EPS, "one step of scheme %d", scheme);
    }
    for (int i = 0; i < B; i++) dW[i] = z[i] / 8;
    for (int scheme = FD_SDE_EULER; scheme <= FD_SDE_PLATEN; scheme++) {
        fd_real *to = scheme ? y : x;
        memcpy(to, z + B, B * sizeof *to);
        for (int k = 0; k < 5; k++) fd_sde_step(&add, scheme, .2 * k, 1. / 64, B, to, dW, a);
        if (scheme) OK(!memcmp(x, y, B * sizeof *x),
                       "additive noise: the bits of Euler-Maruyama, %d", scheme);
    }
    OK(!st.code, "status");
    gbm.dg = NULL;
    fd_sde_step(&gbm, FD_SDE_MILSTEIN, 0, .1, 1, &X, &w, a);
    OK(st.code == FD_EARG, "Milstein without a derivative");
    st.code = 0;
    fd_sde_step(&gbm, 3, 0, .1, 1, &X, &w, a);
    OK(st.code == FD_EARG, "no such scheme");
}

/* a score that is wrong by a factor f(v): D' = x - f (x - D), m = 1 */
typedef struct { fd_model of; const fd_process *p; double delta; int root; } wrong;

static void wrong_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena scratch)
{
    const wrong *w = self;
    ptrdiff_t n = fd_size(s);
    w->of.eval(w->of.self, s, b, x, t, y, scratch);
    for (ptrdiff_t i = 0; i < b * n; i++) {                 /* x - m D' = (1 + delta)(x - m D) */
        fd_coef c = fd_law(w->p, t[i / n], 0);
        double f = w->root ? sqrt(c.v) : 1 + w->delta;
        y[i] = (fd_real)((x[i] - f * (x[i] - c.m * y[i])) / c.m);
    }
}

/* Annealed: DDO's released and default ladders; exact score, and yet frozen early. */
static void check_annealed(const fd_cov *one, fd_arena a)
{
    double t[500];
    static const struct { double v1, vT, eps; int L, inner; double V[5]; } ddo[] = {
        { .01, 30, 6e-6, 500, 3, { .099188, .124969, .286049, 1.439789, 11.272530 } },
        { .01, 1, 2e-5, 10, 100, { .034056, .053870, .185128, 1.228038, 10.104570 } } };
    static const double cs[5] = { 0, .01, .1, 1, 10 };
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 5; k++) {
            fd_process lad = fd_ladder(one, ddo[i].v1, ddo[i].vT, ddo[i].L);
            int L = ddo[i].L;
            fd_times(&lad, FD_UNIFORM, 0, L - 1, t, a.st);
            fd_sampler d = { .p = &lad, .t = t, .steps = L - 1, .scheme = FD_ANNEALED,
                             .corrector = FD_CORRECT_LADDER, .inner = ddo[i].inner,
                             .cprm = ddo[i].eps };
            d.model = fd_oracle_gauss(&a, &lad, NULL, single_on(&a, one, cs[k]));
            gauss w = { 0, 1 };
            for (int l = 0; l < L; l++)
                for (int j = 0; j < ddo[i].inner; j++)
                    w = push(&d, 1, t[l], 0, w, l < L - 1 || j < ddo[i].inner - 1, a);
            NEAR(w.V, ddo[i].V[k], TOL(6e-7, 2e-3) * maxf(1, w.V), "DDO %d, c = %g", i, cs[k]);
            d.corrector = FD_CORRECT_SCALED, d.cprm = .1;    /* the same effort without scale */
            w = (gauss){ 0, 1 };
            for (int l = 0; l < L; l++)
                for (int j = 0; j < ddo[i].inner; j++)
                    w = push(&d, 1, t[l], 0, w, l < L - 1 || j < ddo[i].inner - 1, a);
            if (i == 1) NEAR(w.V, cs[k] + .01, .1 * (cs[k] + .01), "scale-free, c = %g", cs[k]);
        }
}

static void check_langevin(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    double lam = .7, c = .3, mu = 1.1, t[61];
    fd_real mean = (fd_real)mu;
    fd_cov *noise = single(&a, lam), *one = single(&a, 1);
    fd_process ve = fd_ve(noise, .01, 50);
    /* the stationary law at one level: N(m mu, P/(1 - al lam/4P)) */
    fd_process vp = fd_vp(noise, .1, 20);
    fd_sampler how = { .p = &vp, .t = t, .steps = 1, .corrector = FD_CORRECT_SCALED, .cprm = .3 };
    how.model = fd_oracle_gauss(&a, &vp, &mean, single_on(&a, noise, c));
    fd_coef f = fd_law(&vp, .2, 0);
    double P = f.m * f.m * c + f.v * lam, al = .3 * f.v, A, b, n;
    probe1(&how, 1, .2, 0, &A, &b, &n, a);
    NEAR(A, 1 - al * lam / (2 * P), TOL(1e-14, 1e-6), "Langevin: A");
    NEAR(b, al * lam / (2 * P) * f.m * mu, TOL(1e-14, 1e-6), "Langevin: b");
    NEAR(n, sqrt(al), TOL(1e-14, 1e-6), "Langevin: noise");
    NEAR(n * n * lam / (1 - A * A), P / (1 - al * lam / (4 * P)), TOL(1e-13, 1e-5), "its variance");
    NEAR(b / (1 - A), f.m * mu, TOL(1e-13, 1e-5), "its mean");

    check_annealed(one, a);
    /* FFM's baseline: h = 2e-4 sigma_t/sigma_T, 199 times on 10 levels; with 1/sqrt(sigma) or
     * not */
    static const double cs[4] = { 0, .01, .1, 1 }, with[4] = { .010, .020, .116, 1.079 };
    static const double without[4] = { .122, .218, .742, 3.20 };
    fd_process lad = fd_ladder(one, .01, 1, 10);
    fd_times(&lad, FD_UNIFORM, 0, 9, t, &st);
    for (int k = 0; k < 4; k++)
        for (int bad = 0; bad < 2; bad++) {
            fd_sampler d = { .p = &lad, .t = t, .steps = 9, .scheme = FD_ANNEALED,
                             .corrector = FD_CORRECT_SCALED, .cprm = 4e-4 / .01 };
            wrong w = { fd_oracle_gauss(&a, &lad, NULL, single_on(&a, one, cs[k])), &lad, 0, 1 };
            d.model = bad ? (fd_model){ FD_X0, wrong_eval, NULL, NULL, &w, NULL } : w.of;
            gauss g = { 0, 1 };
            for (int l = 0; l < 10; l++)
                for (int j = 0; j < 199; j++) g = push(&d, 1, t[l], 0, g, 1, a);
            double want = bad ? without[k] : with[k];
            NEAR(g.V, want, maxf(6e-4, 5e-3 * want), "FFM's baseline, c = %g, wrong %d", cs[k],
                 bad);
        }

    /* predictor and corrector */
    fd_times(&ve, FD_UNIFORM, 0, 60, t, &st);
    for (int i = 0; i <= 60; i++) t[i] = 1 + (1e-3 - 1) * i / 60.;
    how = (fd_sampler){ .p = &ve, .t = t, .steps = 60, .scheme = FD_VE_PREDICTOR,
                        .corrector = FD_CORRECT_SCALED, .cprm = .2 };
    how.model = fd_oracle_gauss(&a, &ve, &mean, single_on(&a, noise, c));
    gauss w = { 0, 2500 * lam };
    for (int k = 0; k < 60; k++) {
        w = push(&how, 0, t[k], t[k + 1], w, 1, a);
        w = push(&how, 1, t[k + 1], 0, w, 1, a);
    }
    NEAR(w.M, 1.099991910682, TOL(1e-11, 1e-3), "predictor-corrector: mean");
    NEAR(w.V, .322111224729, TOL(1e-11, 1e-3), "predictor-corrector: variance");
    OK(!st.code, "status");
}

/* The SNR rule, by its norms. */
static void check_snr_rule(const fd_process *p, fd_model m, fd_arena a)
{
    enum { B = 3, N = 7, CH = 2, S = B * N * CH };
    const fd_cov *noise = p->noise;
    const fd_space s = noise->s;
    double t[6];
    fd_real x[S], y[S], xi[S], d[S], g[S];
    fd_sampler how = { .p = p, .model = m, .t = t, .steps = 5, .corrector = FD_CORRECT_SNR_GRID,
                       .cprm = .16 };
    fd_times(p, FD_UNIFORM, 0, 5, t, a.st);
    double tb[B] = { .3, .3, .3 };
    fd_normal(fd_seed(71), S, x);
    fd_cov_draw(noise, fd_seed(72), 0, B, xi, a);
    m.eval(m.self, &s, B, x, tb, d, a);
    memcpy(g, d, sizeof g);
    fd_convert(p, FD_X0, FD_SCORE, B, x, tb, g, a);
    for (how.pooled = 0; how.pooled < 2; how.pooled++)
        for (int quiet = 0; quiet < 2; quiet++) {
            double ng[B], nz[B], sg = 0, sz = 0, worst = 0;
            for (int i = 0; i < B; i++) {
                ng[i] = sqrt(fd_inner(&s, g + i * N * CH, g + i * N * CH));
                nz[i] = quiet ? sqrt(2 * fd_cov_trace(noise))
                    : sqrt(fd_inner(&s, xi + i * N * CH, xi + i * N * CH));
                sg += ng[i], sz += nz[i];
            }
            memcpy(y, x, sizeof y);
            fd_correct(&how, .3, B, y, quiet ? NULL : xi, NULL, a);
            for (int j = 0; j < S; j++) {
                int i = j / (N * CH);
                double e = 2 * pow(.16 * (how.pooled ? sz / sg : nz[i] / ng[i]), 2);
                double want = x[j] + e * g[j] + (quiet ? 0 : sqrt(2 * e) * xi[j]);
                worst = maxf(worst, fabs(want - y[j]));
            }
            NEAR(worst, 0, TOL(1e-12, 1e-5), "SNR rule, pooled %d, quiet %d", how.pooled, quiet);
        }
}

/* fd_sample is fd_correct and fd_advance in the order that is promised. */
static void check_order(int pi, const fd_process *p, fd_model m, int k, fd_arena a)
{
    enum { B = 3, N = 7, CH = 2, S = B * N * CH };
    const fd_cov *noise = p->noise;
    const fd_space s = noise->s;
    double t[6];
    fd_real x[S], y[S], xi[S], d[S], z[S];
    fd_rng r = fd_seed(73);
    int inner = 2, early = k & 1, quiet = k >> 1 & 1, churn = k >> 2 & 1, hold = k >> 3;
    fd_sampler how = { .p = p, .model = m, .t = t, .steps = 3,
                       .scheme = hold ? FD_ANNEALED : FD_ANCESTRAL,
                       .corrector = FD_CORRECT_SCALED, .cprm = .2, .inner = inner, .before = early,
                       .quiet = quiet, .churn = churn ? .5 : 0, .denoise = k == 7,
                       .tdenoise = .02 };
    fd_times(p, FD_UNIFORM, 0, 3, t, a.st);
    if (hold && (early || churn)) return;
    fd_cov_draw(noise, r, 2, B, x, a);
    for (int i = 0; i < S && pi == 0; i++) x[i] *= (fd_real)sqrt(fd_law(p, 1, 0).v);
    if (pi) {
        double ones[B] = { 1, 1, 1 };
        memset(y, 0, sizeof y);
        fd_perturb(p, r, 2, B, y, ones, x, NULL, a);
    }
    for (int j = 0; j < 3; j++) {
        double from = t[j], to = t[j + 1], u = to + .5 * (from - to);
        for (int i = 0; i < inner && (early || hold); i++) {
            fd_cov_draw(noise, fd_stream(r, 'c', (uint32_t)(j * inner + i)), 2, B, xi, a);
            fd_correct(&how, from, B, x, xi, NULL, a);
        }
        fd_cov_draw(noise, fd_stream(r, 's', (uint32_t)j + 1), 2, B, xi, a);
        if (!hold)
            fd_advance(&how, from, to, B, x, j == 2 && quiet && early && !churn ? NULL : xi, NULL,
                       a);
        if (churn) {
            fd_cov_draw(noise, fd_stream(r, 'u', (uint32_t)j + 1), 2, B, xi, a);
            fd_to_modes(&s, B, x, x, a);
            fd_to_modes(&s, B, xi, xi, a);
            for (int i = 0; i < S; i++) {
                fd_coef T = fd_law(p, to, i % N), U = fd_law(p, u, i % N);
                double kap = U.m / T.m;
                x[i] = (fd_real)(kap * x[i] + sqrt(U.v - kap * kap * T.v) * xi[i]);
            }
            fd_from_modes(&s, B, x, z, a);
            memcpy(x, z, sizeof x);
            fd_cov_draw(noise, fd_stream(r, 'v', (uint32_t)j + 1), 2, B, xi, a);
            fd_advance(&how, u, to, B, x, j == 2 && quiet && early ? NULL : xi, NULL, a);
        }
        for (int i = 0; i < inner && (hold ? j == 2 : !early); i++) {
            fd_cov_draw(noise, fd_stream(r, 'c', (uint32_t)((j + hold) * inner + i)), 2, B, xi, a);
            fd_correct(&how, to, B, x, j == 2 && quiet && i == 1 ? NULL : xi, NULL, a);
        }
    }
    if (how.denoise) {
        double te[B] = { .02, .02, .02 };
        m.eval(m.self, &s, B, x, te, d, a);
        memcpy(x, d, sizeof x);
    }
    fd_sample(&how, r, 2, B, y, a);
    NEAR(test_rel(S, y, x), 0, TOL(1e-12, 1e-4), "process %d, the step of case %d", pi, k);
}

/* What cannot be. */
static void check_steps_wrong(const fd_process *p, const fd_cov *data, fd_arena a)
{
    double t[4];
    fd_real x[14];
    fd_times(p, FD_UNIFORM, 0, 3, t, a.st);
    fd_sampler ok = { .p = p, .model = fd_oracle_gauss(&a, p, NULL, data), .t = t,
                      .steps = 3 }, h;
#define BAD(change, why) (h = ok, (void)(change), a.st->code = 0, \
        OK(!fd_begin(&a, &h, fd_seed(1), 0, 1) && a.st->code == FD_EARG, "%s: code %d", why, \
           a.st->code))
    BAD(h.scheme = FD_ANNEALED, "annealed without a corrector");
    BAD(h.corrector = 5, "no such corrector");
    BAD((h.corrector = FD_CORRECT_SCALED, h.cprm = -1), "a negative step");
    BAD((h.corrector = FD_CORRECT_SCALED, h.cprm = NAN), "a step that is no number");
    BAD(h.churn = -1, "negative churn");
    BAD(h.churn = INFINITY, "churn to infinity");
    BAD(h.start = 3, "no such start");
    BAD(h.rtol = -1, "a negative tolerance");
    BAD(h.atol = NAN, "a tolerance that is no number");
    BAD(h.tdenoise = -1, "a negative time");
    BAD(h.inner = -1, "negative steps of the corrector");
    BAD(h.band = -1, "a negative band");
    BAD(h.t = NULL, "no times");
    BAD((h.churn = 1, h.scheme = FD_PF_MULTISTEP), "churn with multistep");
#undef BAD
    a.st->code = 0;
    fd_process fl = fd_flow(p->noise, 0);
    h = ok, h.p = &fl, h.corrector = FD_CORRECT_SCALED, h.cprm = .1, h.scheme = FD_ANCESTRAL;
    h.model = fd_oracle_gauss(&a, &fl, NULL, data);
    fd_times(&fl, FD_UNIFORM, 0, 3, t, a.st);
    fd_sample(&h, fd_seed(1), 0, 1, x, a);
    OK(!a.st->code, "at v = 0 nothing is corrected");
    fd_correct(&h, 0, 1, x, NULL, NULL, a);
    OK(a.st->code == FD_EARG, "asked to, it says so");
}

/* the SNR rule, and the order of things within fd_step, with its streams */
static void check_steps(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ 7 }, NULL, NULL, 2);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5), *data = fd_cov_matern(&a, &s, 1, .2, 2.5);
    fd_process procs[2] = { fd_vp(noise, .1, 20), fd_fdp(&a, noise, .1, 5, NULL) };
    for (int pi = 0; pi < 2; pi++) {
        fd_process *p = &procs[pi];
        fd_model m = fd_oracle_gauss(&a, p, NULL, data);
        check_snr_rule(p, m, a);
        for (int k = 0; k < 16; k++) check_order(pi, p, m, k, a);
    }
    OK(!st.code, "status");
    check_steps_wrong(&procs[0], data, a);
}

/* FDP's sampler: the law of Euler, churn, Euler on one mode; the released settings */
static void check_fdp_sampler(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    double r = 1.3, bk = .42, c = .25, t[51];
    fd_real mean = (fd_real)1.3;
    fd_cov *noise = single(&a, r);
    fd_process p = fd_fdp(&a, noise, .1, 5, &bk);
    fd_model m = fd_oracle_gauss(&a, &p, &mean, single_on(&a, noise, c));
    static const double want[2] = { .2507, .2407 };
    for (int ode = 0; ode < 2; ode++) {
        fd_sampler how = fd_fdp_sampler(&p, m, 50, .5, .19, ode, t, &st);
        how.corrector = FD_CORRECT_SNR_GRID;                /* a single point has no waves */
        OK(how.steps == 49 && t[0] == 1 && fabs(t[49] - (1e-3 + .999 / 50)) < 1e-15,
           "the loop ends one step early");
        OK(how.before && how.quiet && how.denoise && how.tdenoise == 1e-3
           && how.cprm == .19 && how.churn == .5, "as released");
        gauss w = { 0, fd_law(&p, 1, 0).v * r };
        for (int k = 0; k < 50; k++) {                      /* without corrector, to tmin */
            double from = 1 - .999 * k / 50, to = 1 - .999 * (k + 1) / 50,
                u = to + .5 * (from - to);
            fd_coef T = fd_law(&p, to, 0), U = fd_law(&p, u, 0);
            double kap = U.m / T.m;
            w = push(&how, 0, from, to, w, 1, a);
            w = (gauss){ kap * w.M, kap * kap * w.V + (U.v - kap * kap * T.v) * r };
            w = push(&how, 0, u, to, w, 1, a);
        }
        NEAR(w.V, want[ode], 6e-5, "Euler and churn, ode %d", ode);
        fd_real x[2];
        int evals = 0;
        how.evals = &evals;
        fd_sample(&how, fd_seed(3), 0, 2, x, a);
        OK(!st.code && isfinite(x[0]), "it runs");
        OK(evals == 3 * 49 + 1, "three evaluations a step: %d", evals);
        how = fd_fdp_sampler(&p, m, 50, 2, .19, ode, t, &st);    /* churn to beyond tmax */
        OK(how.corrector == FD_CORRECT_SNR && !how.pooled, "the norms are those of any grid");
        how.corrector = FD_CORRECT_SNR_GRID;
        fd_sample(&how, fd_seed(3), 0, 2, x, a);
        OK(!st.code && isfinite(x[1]), "churn 2");
    }
    for (int i = 0; i < 4; i++) {
        st.code = 0;
        double churn = i == 1 ? -1 : 1, snr = i == 2 ? -1 : i == 3 ? NAN : .1;
        fd_sampler how = fd_fdp_sampler(&p, m, i == 0 ? 1 : 50, churn, snr, 0, t, &st);
        OK(st.code == FD_EARG && !how.p, "bad argument %d", i);
    }
}

/* The formula, on modes of a grid. */
static void check_band_formula(fd_arena a)
{
    enum { N = 9, CH = 2, S = 2 * N * CH };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, (double[]){ 2.385 }, NULL, CH);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .3, 1.5), *data = fd_cov_matern(&a, &s, 1, .2, 2.5);
    fd_process p[2] = { fd_vp(noise, .1, 20), fd_fdp(&a, noise, .1, 5, NULL) };
    fd_real x[S], xi[S], y[S], D[S], u[S], z[S];
    double tb[2] = { .3, .3 };
    fd_normal(fd_seed(6), S, x);
    fd_cov_draw(noise, fd_seed(7), 0, 2, xi, a);
    for (int k = 0; k < 24; k++) {
        fd_process *q = &p[k & 1];
        int pooled = k >> 1 & 1, quiet = k >> 2 & 1, band = 1 + k / 8;
        fd_sampler how = { .p = q, .model = fd_oracle_gauss(&a, q, NULL, data),
                           .corrector = FD_CORRECT_SNR,
                           .cprm = .16, .band = band, .pooled = pooled };
        double e2[2] = { 0 }, z2[2] = { 0 }, trace = 0, rz = 0, re = 0, worst = 0;
        fd_predict(&how.model, FD_X0, q, 2, x, tb, D, a);
        fd_to_modes(&s, 2, D, D, a);
        fd_to_modes(&s, 2, x, u, a);
        fd_to_modes(&s, 2, xi, z, a);
        for (int j = 0; j < S; j++) {
            fd_coef f = fd_law(q, .3, j % N);
            if (j % N > 2 * band) continue;
            e2[j / (N * CH)] += pow(u[j] - f.m * D[j], 2) / f.v;
            z2[j / (N * CH)] += pow(z[j], 2);
            if (j < N * CH) trace += noise->lam[j % N];
        }
        for (int i = 0; i < 2; i++) {
            if (quiet) z2[i] = trace;
            rz += sqrt(z2[i] + trace), re += sqrt(e2[i] + trace);
        }
        memcpy(y, x, sizeof y);
        fd_correct(&how, .3, 2, y, quiet ? NULL : xi, NULL, a);
        fd_to_modes(&s, 2, y, y, a);
        for (int j = 0; j < S; j++) {
            fd_coef f = fd_law(q, .3, j % N);
            int i = j / (N * CH);
            double r2 = pooled ? rz * rz / (re * re) : (z2[i] + trace) / (e2[i] + trace);
            double al = 4 * .16 * .16 * f.v * r2;
            double want = u[j] - al / (2 * f.v) * (u[j] - f.m * D[j])
                + (quiet ? 0 : sqrt(al) * z[j]);
            worst = maxf(worst, fabs(want - y[j]));
        }
        NEAR(worst, 0, TOL(1e-12, 1e-4), "SNR of a band, case %d", k);
    }
    OK(!a.st->code, "status");
}

/* Bands that have more waves than an axis, or no noise. */
static void check_band_wrong(fd_arena a)
{
    fd_real x[6], y[6];
    fd_space one = fd_grid(&a, 1, (int[]){ 6 }, NULL, NULL, 1);
    fd_normal(fd_seed(6), 6, x);
    fd_process few = fd_vp(fd_cov_matern(&a, &one, 1, .3, 1.5), .1, 20);
    fd_process bare = fd_vp(fd_cov_power(&a, &one, 1, 0, 1), .1, 20);
    double lam[6] = { 0, 0, 0, 1, 1, 0 };
    fd_process high = fd_vp(fd_cov_table(&a, &one, lam), .1, 20);
    const struct { const fd_process *p; int band; const char *want; } bad[] = {
        { &few, 0,
          "fd_correct: the band has more waves than an axis; axis, points, waves: 0, 6, 3" },
        { &few, 2, "" }, { &bare, 2, "" },
        { &high, 1, "fd_correct: no noise in the band; waves: 1" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[200];
        a.st->code = 0;
        fd_sampler how = { .p = bad[i].p,
                           .model = fd_oracle_gauss(&a, bad[i].p, NULL, bad[i].p->noise),
                           .corrector = FD_CORRECT_SNR, .cprm = .1, .band = bad[i].band };
        memcpy(y, x, sizeof y);
        fd_correct(&how, .3, 1, y, NULL, NULL, a);
        fd_explain(a.st, text, sizeof text);
        OK(!strcmp(text, bad[i].want) && !memcmp(x, y, sizeof x) == !!*bad[i].want,
           "explained as '%s'", text);
    }
    a.st->code = 0;
}

/* All modes of a dense basis. */
static void check_band_dense(fd_arena a)
{
    fd_real x[4];
    fd_real basis[8] = { 1, 1, 1, 1, 1, -1, 1, -1 }, weight[4] = { .25, .25, .25, .25 };
    fd_space dense = fd_dense(NULL, 4, 2, basis, weight, 1);
    fd_process dp = fd_vp(fd_cov_table(&a, &dense, (double[]){ 1, .5 }), .1, 20);
    fd_sampler how = { .p = &dp, .model = fd_oracle_gauss(&a, &dp, NULL, dp.noise),
                       .corrector = FD_CORRECT_SNR,
                       .cprm = .1, .band = 1 };
    /* u = .9, .2; e = sqrt v u, P = lam */
    for (int i = 0; i < 4; i++) x[i] = (fd_real)(i % 2 ? .7 : 1.1);
    fd_correct(&how, .3, 1, x, NULL, NULL, a);
    double v = fd_law(&dp, .3, 0).v, al = 4 * .01 * v * 3 / (v * (.81 + .04) + 1.5);
    NEAR(x[0], 1.1 * (1 - .5 * al), TOL(1e-13, 1e-6), "all modes of a dense basis");
    OK(!a.st->code, "status");
}

/* The norms of FD_CORRECT_SNR are those of a band: the same function on every grid, step for step,
 * and so the same law. Those of FD_CORRECT_SNR_GRID are not, which is why it is no default. */
static void check_bands(void)
{
    fd_status st;
    fd_arena all = test_arena(64 << 20, &st);
    enum { GRIDS = 4, B = 60, STEPS = 6 };
    typedef struct { int nd, bc[2], n[GRIDS][2], corrector, band, fdp, pooled, before; } grids;
    static const grids row[] = {
        { 1, { FD_PERIODIC, 0 }, { { 8, 0 }, { 16, 0 }, { 32, 0 }, { 128, 0 } }, FD_CORRECT_SNR, 0,
          0, 0, 0 },
        { 1, { FD_PERIODIC, 0 }, { { 8, 0 }, { 16, 0 }, { 33, 0 }, { 128, 0 } }, FD_CORRECT_SNR, 0,
          1, 0, 1 },
        { 1, { FD_DIRICHLET, 0 }, { { 5, 0 }, { 16, 0 }, { 32, 0 }, { 128, 0 } }, FD_CORRECT_SNR, 5,
          0, 1, 0 },
        { 2, { FD_MIXED, FD_NEUMANN }, { { 4, 5 }, { 8, 5 }, { 9, 12 }, { 20, 16 } },
          FD_CORRECT_SNR, 4, 0, 0, 1 },
        { 1, { FD_PERIODIC, 0 }, { { 8, 0 }, { 16, 0 }, { 32, 0 }, { 128, 0 } },
          FD_CORRECT_SNR_GRID, 0, 0, 0, 0 } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double var[GRIDS] = { 0 }, t[STEPS + 2];
        fd_real *first = NULL;
        fd_arena a = all;
        fd_space s0;
        for (int g = 0; g < GRIDS; g++) {
            fd_space s = fd_grid(&a, row[i].nd, row[i].n[g], NULL, row[i].bc, 2);
            fd_cov *noise = fd_cov_matern(&a, &s, 1, .2, .5);
            fd_cov *data = fd_cov_matern(&a, &s, .5, .3, 1.5);
            fd_process p = row[i].fdp ? fd_fdp(&a, noise, .1, 5, NULL) : fd_vp(noise, .1, 20);
            fd_model m = fd_oracle_gauss(&a, &p, NULL, data);
            fd_sampler how = { .p = &p, .model = m, .t = t, .steps = STEPS, .scheme = FD_ANCESTRAL,
                               .corrector = row[i].corrector, .cprm = .3, .inner = 2,
                               .band = row[i].band };
            p.tmin = .02;
            fd_times(&p, FD_UNIFORM, 0, STEPS, t, &st);
            if (row[i].fdp) how = fd_fdp_sampler(&p, m, STEPS + 1, .5, .2, 0, t, &st);
            how.pooled = row[i].pooled, how.before = row[i].before;
            fd_real *x = fd_new(&a, fd_real, B * fd_size(&s));
            fd_sample(&how, fd_seed(5), 0, B, x, a);
            fd_to_modes(&s, B, x, x, a);
            if (g == 0) first = x, s0 = s;
            ptrdiff_t size = fd_size(&s0);
            fd_real *w = fd_new(&a, fd_real, B * size), *u = fd_new(&a, fd_real, B * size);
            fd_modes_between(&s, &s0, B, x, w);
            fd_modes_between(&s0, &s0, B, first, u);
            double far = test_rel(B * size, w, u);
            for (int j = 0; j < B; j++) var[g] += (double)w[j * size + 1] * w[j * size + 1] / B;
            if (row[i].corrector == FD_CORRECT_SNR) {
                NEAR(far, 0, TOL(1e-12, 1e-4), "row %d, grid %d: the same functions", (int)i, g);
                NEAR(var[g] / var[0], 1, TOL(1e-12, 1e-4), "row %d, grid %d: variance of mode 1",
                     (int)i, g);
            } else if (g) OK(far > .02, "the norms of the grid: other functions, %g", far);
        }
        OK(!st.code, "row %d: status %s", (int)i, st.code ? st.what : "");
    }
    check_band_formula(all);
    check_band_wrong(all);
    check_band_dense(all);
}

static void check_multistep(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    double lam = .7, c = .25, t[321], mu = 1.3, X = -.9;
    fd_real mean = (fd_real)mu;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process p[3] = { fd_vp(noise, .1, 20), fd_ou(noise, 5),
                        fd_heat(noise, 1.7, 0, NULL, NULL, 1.2) };
    for (int i = 0; i < 3; i++)
        for (int rule = 0; rule < 2 && EPS < 1e-10; rule++) {
            double err[2];
            p[i].tmin = i == 1 ? .4 : .05;
            for (int k = 0; k < 2; k++) {
                int n = 80 << k;
                fd_times(&p[i], rule ? FD_LOGSNR : FD_UNIFORM, 0, n, t, &st);
                int evals = 0;
                fd_sampler how = { .p = &p[i], .t = t, .steps = n, .scheme = FD_PF_MULTISTEP,
                                   .evals = &evals };
                how.model = fd_oracle_gauss(&a, &p[i], &mean, c0);
                fd_coef T = fd_law(&p[i], t[0], 0), S = fd_law(&p[i], t[n], 0);
                fd_run *run = fd_begin(&a, &how, fd_seed(1), 0, 1);
                run->x[0] = (fd_real)X;
                while (fd_step(run, a)) { }
                OK(evals == n, "one evaluation a step");
                err[k] = fabs(run->x[0] - S.m * mu - sqrt((S.m * S.m * c + S.v * lam)
                                                          / (T.m * T.m * c + T.v * lam))
                                                        * (X - T.m * mu));
            }
            NEAR(log2(err[0] / err[1]), 2, .25, "multistep: order, process %d, rule %d (%g, %g)", i,
                 rule, err[0], err[1]);
        }
    /* the second step by the formula; the first is DDIM */
    t[0] = .8, t[1] = .5, t[2] = .3;
    fd_sampler how = { .p = &p[0], .t = t, .steps = 2, .scheme = FD_PF_MULTISTEP };
    how.model = fd_oracle_gauss(&a, &p[0], &mean, c0);
    fd_run *run = fd_begin(&a, &how, fd_seed(1), 0, 1);
    fd_real x = run->x[0], D[2];
    fd_predict(&how.model, FD_X0, &p[0], 1, &x, &t[0], &D[0], a);
    fd_row r = fd_step_row(&p[0], FD_DDIM, 0, .8, .5, 0, &st);
    fd_step(run, a);
    NEAR(run->x[0], r.ax * x + r.aD * D[0], 20 * EPS, "first step");
    x = run->x[0];
    fd_predict(&how.model, FD_X0, &p[0], 1, &x, &t[1], &D[1], a);
    double l[3];
    for (int i = 0; i < 3; i++) l[i] = log(fd_law(&p[0], t[i], 0).m) - .5
        * log(fd_law(&p[0], t[i], 0).v);
    r = fd_step_row(&p[0], FD_DDIM, 0, .5, .3, 0, &st);
    fd_step(run, a);
    NEAR(run->x[0], r.ax * x + r.aD * (D[1] + .5 * (l[2] - l[1]) / (l[1] - l[0])
                                       * ((double)D[1] - D[0])), 30 * EPS,
         "second step");
    OK(!st.code, "status");
}

/* Steps are chosen per function: alone or in a batch, the same bits. */
static void check_adaptive_alone(fd_arena a)
{
    enum { B = 5, N = 9 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov *n9 = fd_cov_matern(&a, &s, 1, .3, 1.5), *d9 = fd_cov_matern(&a, &s, 1, .2, 2.5);
    fd_process vp = fd_vp(n9, .1, 20), fdp = fd_fdp(&a, n9, .1, 5, NULL);
    double t[2] = { 1, 1e-3 };
    fd_real x[B * N], y[B * N], means[2 * N];
    const fd_cov *both[2] = { d9, d9 };
    fd_normal(fd_seed(80), 2 * N, means);
    for (int k = 0; k < 2; k++) {
        fd_process *q = k ? &fdp : &vp;
        fd_sampler how = { .p = q, .t = t, .steps = 1, .scheme = FD_PF_ADAPTIVE };
        how.model = fd_oracle_mix(&a, q, 2, NULL, means, both);
        fd_sample(&how, fd_seed(81), 0, B, x, a);
        for (int i = 0; i < B; i++) fd_sample(&how, fd_seed(81), i, 1, y + i * N, a);
        OK(!memcmp(x, y, sizeof x), "each function has its own steps: %g",
           test_maxdiff(B * N, x, y));
        how.pooled = 1;
        fd_sample(&how, fd_seed(81), 0, B, y, a);
        OK(memcmp(x, y, sizeof x), "one norm for the batch");
        NEAR(test_maxdiff(B * N, x, y), 0, 2e-3, "differs by tolerances only");
    }
}

static void check_adaptive(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    double lam = .7, c = .25, mu = 1.3;
    fd_real mean = (fd_real)mu;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process p[3] = { fd_vp(noise, .1, 20), fd_flow(noise, 1e-4),
                        fd_heat(noise, 1.7, 0, NULL, NULL, 1.2) };
    for (int i = 0; i < 3; i++)
        for (int tight = 0; tight < 2; tight++) {
            double T = p[i].tmax, E = p[i].tmin, tol = tight ? TOL(1e-9, 1e-6) : 1e-5;
            fd_coef f = fd_law(&p[i], T, 0), g = fd_law(&p[i], E, 0);
            double PT = f.m * f.m * c + f.v * lam, PE = g.m * g.m * c + g.v * lam, worst = 0;
            fd_real x[3] = { 0, 1, (fd_real)-2.1 }, y[3];
            int evals = 0;
            fd_sampler how = { .p = &p[i], .scheme = FD_PF_ADAPTIVE, .rtol = tight ? tol : 0,
                               .atol = tight ? tol : 0, .evals = &evals };
            how.model = fd_oracle_gauss(&a, &p[i], &mean, c0);
            memcpy(y, x, sizeof x);
            fd_advance(&how, T, E, 3, y, NULL, NULL, a);
            for (int j = 0; j < 3; j++)
                worst = maxf(worst, fabs(y[j] - g.m * mu - sqrt(PE / PT) * (x[j] - f.m * mu)));
            NEAR(worst, 0, 50 * tol + TOL(0, 2e-5), "adaptive, process %d: the exact flow", i);
            OK(evals > 10 && evals < (tight ? 3000 : 400), "evaluations: %d", evals);
            if (i == 1 && !tight) {                         /* FFM's end law */
                double A = (double)y[1] - y[0];
                NEAR(A * A * lam, .250000007, 3e-4, "FFM: variance");
                NEAR(y[0], mu - sqrt(PE / PT) * 0, 1e-4, "FFM: mean");
            }
        }
    OK(!st.code, "status: %s", st.code ? st.what : "");
    check_adaptive_alone(a);
    OK(!st.code, "status: %s", st.code ? st.what : "");
    fd_process f0 = fd_flow(noise, 0);
    fd_real x[1] = { 1 };
    fd_sampler how = { .p = &f0, .scheme = FD_PF_ADAPTIVE };
    how.model = fd_oracle_gauss(&a, &f0, NULL, c0);
    fd_advance(&how, 1, 0, 1, x, NULL, NULL, a);
    OK(st.code == FD_EARG, "to v = 0");
    st.code = 0;
    x[0] = (fd_real)NAN;
    fd_advance(&how, 1, .1, 1, x, NULL, NULL, a);
    OK(st.code == FD_ENAN, "from NaN");
    st.code = 0, x[0] = 1;
    how.rtol = how.atol = 1e-30;
    fd_advance(&how, 1, .1, 1, x, NULL, NULL, a);
    OK(st.code == FD_EARG, "too many steps: code %d", st.code);
}

void test_steps(void)
{
    check_sde();
    check_langevin();
    check_steps();
    check_fdp_sampler();
    check_bands();
    check_multistep();
    check_adaptive();
}

/* ---- densities ---- */

static double log_normal(double x, double M, double V) { return -.5
                                                         * (log(2 * PI * V) + (x - M) * (x - M)
                                                            / V); }

/* One mode, whose density is known. */
static void check_loglik_mode(fd_arena a)
{
    enum { B = 3 };
    double lam = .7, c = .25, mu = 1.3, *t = fd_new(&a, double, 1001), got[B];
    fd_real mean = (fd_real)mu, x3[B] = { (fd_real)1.9, (fd_real)-.4, (fd_real)1.1 };
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process vp = fd_vp(noise, .1, 20);
    fd_coef e = fd_law(&vp, 1e-3, 0);
    double P = e.m * e.m * c + e.v * lam;
    fd_times(&vp, FD_LOGSNR, 0, 1000, t, a.st);
    fd_sampler how = { .p = &vp, .t = t, .steps = 1000, .scheme = FD_PF_RK4,
                       .start = FD_START_MATCHED, .mean = &mean, .cov = c0 };
    how.model = fd_oracle_gauss(&a, &vp, &mean, c0);
    fd_loglik(&how, 0, fd_seed(1), 0, B, x3, got, a);
    for (int i = 0; i < B; i++)
        NEAR(got[i], log_normal(x3[i], e.m * mu, P), TOL(1e-9, 2e-3), "Gaussian, one mode");
    fd_loglik(&how, 2, fd_seed(1), 0, B, x3, got, a);       /* one point: z J z = J */
    for (int i = 0; i < B; i++)
        NEAR(got[i], log_normal(x3[i], e.m * mu, P), TOL(1e-9, 2e-3), "Gaussian, one mode, probes");
    double two[3] = { 1, .03, 1e-3 };               /* by steps of its own, over one time between */
    fd_sampler ad = how;
    ad.t = two, ad.steps = 2, ad.scheme = FD_PF_ADAPTIVE;
    for (int tight = 0; tight < 2; tight++)
        for (int probes = 0; probes < 2; probes++) {
            int evals = 0;
            ad.rtol = ad.atol = tight ? TOL(1e-9, 1e-6) : 0, ad.evals = &evals;
            fd_loglik(&ad, probes, fd_seed(1), 0, B, x3, got, a);
            for (int i = 0; i < B; i++)
                NEAR(got[i], log_normal(x3[i], e.m * mu, P),
                     tight ? TOL(1e-7, 2e-3) : TOL(1e-3, 5e-3),
                     "Gaussian, one mode, adaptive %d, probes %d", tight, probes);
            OK(evals > 20 && evals < (tight ? 3000 : 400), "evaluations: %d", evals);
        }
    how.start = FD_START_UNIT;              /* the start is wrong by the mismatch, exactly */
    fd_loglik(&how, 0, fd_seed(1), 0, B, x3, got, a);
    NEAR(got[0], log_normal(1.9, 1.294822502107, .250056416913), TOL(1e-8, 2e-3),
         "Gaussian from N(0, C)");
}

/* Hutchinson's probes have no bias: process i. */
static void check_loglik_probes(int i, fd_sampler how, const fd_real *x, fd_arena a)
{
    enum { R = 24 };
    double t[41], want, one, mean = 0, sq = 0;
    how.t = t, how.steps = 40;
    fd_times(how.p, i == 2 ? FD_UNIFORM : FD_GEOMETRIC, 0, 40, t, a.st);
    for (int rep = 0; rep < R; rep++) {
        fd_loglik(&how, 1, fd_seed(7), 5 + rep, 1, x, &one, a);
        mean += one / R, sq += one * one / R;
    }
    fd_loglik(&how, 0, fd_seed(7), 0, 1, x, &want, a);
    NEAR(mean, want, 5 * sqrt(maxf(sq - mean * mean, 0) / R) + TOL(1e-9, 1e-2),
         "%d points, process %d: probes", (int)how.p->noise->s.points, i);
}

/* Process i by a scheme: against the Gaussian's density at tmin. */
static void check_loglik_flow(int i, fd_process *p, int scheme, const fd_cov *ds, const fd_real *m,
                              const fd_real *x, fd_arena a)
{
    enum { B = 3, CH = 2, N = 6 };
    const fd_cov *ns = p->noise;
    const fd_space s = ds->s;
    const int n = (int)s.points, size = n * CH;
    double t[401], got[B];
    double lamP[N] = { 0 };
    fd_real me[N * CH], u[N * CH];
    int steps = scheme == FD_PF_RK4 ? 200 : 400;
    fd_sampler how = { .p = p, .t = t, .steps = steps, .scheme = scheme,
                       .start = FD_START_MATCHED, .mean = m, .cov = ds };
    how.model = fd_oracle_gauss(&a, p, m, ds);
    p->tmin = i == 2 ? 0 : .02;
    fd_times(p, i == 2 ? FD_UNIFORM : FD_GEOMETRIC, 0, steps, t, a.st);
    fd_to_modes(&s, 1, m, u, a);
    for (int k = 0; k < size; k++) {
        fd_coef f = fd_law(p, p->tmin, k % n);
        lamP[k % n] = ns->lam[k % n] > 0 ? f.m * f.m * ds->lam[k % n] + f.v
            * ns->lam[k % n] : 0;
        u[k] *= (fd_real)f.m;
    }
    fd_from_modes(&s, 1, u, me, a);
    fd_arena b = a;
    fd_cov *end = fd_cov_table(&b, &s, lamP);
    fd_loglik(&how, 0, fd_seed(1), 0, B, x, got, b);
    for (int j = 0; j < B; j++) {
        double want = fd_gauss_logp(end, me, x + j * size, b), hand = 0;
        fd_real v[N * CH], w[N * CH];
        fd_to_modes(&s, 1, x + j * size, v, b);
        fd_to_modes(&s, 1, me, w, b);
        for (int k = 0; k < size; k++)
            if (lamP[k % n] > 0) hand += log_normal(v[k], w[k], lamP[k % n]);
        NEAR(want, hand, 1e-9, "fd_gauss_logp");
        NEAR(got[j], want, scheme == FD_PF_RK4 ? TOL(3e-5, 3e-2) : TOL(2e-2, 5e-2),
             "%d points, process %d, %s", n, i, fd_scheme_name(scheme));
    }
    double one;
    fd_loglik(&how, 0, fd_seed(1), 2, 1, x + 2 * size, &one, b);
    OK(one == got[2], "alone or in a batch");
    if (scheme == FD_PF_HEUN) {
        double ends[2] = { p->tmax, p->tmin }, own[B], three[3] = { 0 };
        fd_sampler h2 = how;
        h2.scheme = FD_PF_ADAPTIVE, h2.t = ends, h2.steps = 1;
        h2.rtol = h2.atol = TOL(1e-8, 1e-6);
        fd_loglik(&h2, 0, fd_seed(1), 0, B, x, own, b);
        for (int j = 0; j < B; j++)
            NEAR(own[j], fd_gauss_logp(end, me, x + j * size, b), TOL(1e-5, 3e-2),
                 "%d points, process %d, adaptive", n, i);
        fd_loglik(&h2, 2, fd_seed(1), 0, B, x, three, b);
        fd_loglik(&h2, 2, fd_seed(1), 2, 1, x + 2 * size, &one, b);
        OK(one == three[2], "adaptive: alone or in a batch");
    }
    if (scheme == FD_PF_RK4) check_loglik_probes(i, how, x, b);
}

/* A model that predicts v: the chain of conversions; J = g I: one probe is exact. */
static void check_loglik_kind(int even, fd_process *p, const fd_real *m, const fd_real *x,
                              fd_arena a)
{
    enum { B = 3, CH = 2 };
    const fd_space s = p->noise->s;
    const int size = (int)s.points * CH;
    double t[51], got[B];
    fd_cov *prop = fd_cov_matern(&a, &s, 2.5, .3, 1);
    as_kind k = { fd_oracle_gauss(&a, p, m, prop), p, FD_V };
    p->tmin = .02;
    fd_times(p, FD_GEOMETRIC, 0, 50, t, a.st);
    fd_sampler how = { .p = p, .t = t, .steps = 50, .scheme = FD_PF_RK4,
                       .start = FD_START_UNIT, .model = k.of };
    double exact[B], other[B];
    fd_loglik(&how, 0, fd_seed(1), 0, B, x, exact, a);
    fd_loglik(&how, 1, fd_seed(1), 0, B, x, got, a);
    how.model = (fd_model){ FD_V, as_eval, as_vjp, NULL, &k, NULL };
    fd_loglik(&how, 1, fd_seed(1), 0, B, x, other, a);
    for (int j = 0; j < B; j++) {
        if (even) {                                     /* a projected z has no fixed length */
            enum { R = 60 };
            double m1 = 0, m2 = 0, one;
            for (int i = 0; i < R; i++) {
                fd_loglik(&how, 1, fd_seed(8), i, 1, x + j * size, &one, a);
                m1 += one / R, m2 += one * one / R;
            }
            NEAR(m1, exact[j], 5 * sqrt((m2 - m1 * m1) / R), "Nyquist modes stay out of z");
            continue;
        }
        NEAR(other[j], got[j], TOL(1e-9, 2e-2), "a model that predicts v");
        NEAR(got[j], exact[j], TOL(1e-9, 2e-2), "J = g I");
    }
}

/* A mixture in two modes of five: the diagonal of J, not all of it. */
static void check_loglik_five(const double *t, fd_arena a)
{
    double lp;
    fd_space s = fd_grid(&a, 1, (int[]){ 5 }, NULL, NULL, 1);
    fd_cov *n5 = fd_cov_matern(&a, &s, 1, .3, 1), *d5 = fd_cov_matern(&a, &s, .2, .2, 1.5);
    fd_process f5 = fd_flow(n5, .05);
    const fd_cov *c5[2] = { d5, d5 };
    fd_real mm[10], x[5], um[10], ux[5];
    fd_normal(fd_seed(93), 10, mm);
    fd_normal(fd_seed(94), 5, x);
    fd_sampler how = { .p = &f5, .t = t, .steps = 800, .scheme = FD_PF_RK4 };
    how.model = fd_oracle_mix(&a, &f5, 2, (double[]){ .3, .7 }, mm, c5);
    fd_loglik(&how, 0, fd_seed(1), 0, 1, x, &lp, a);
    fd_to_modes(&s, 2, mm, um, a);
    fd_to_modes(&s, 1, x, ux, a);
    double l[2] = { log(.3), log(.7) };
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 5; k++) l[i] += log_normal(ux[k], um[i * 5 + k],
                                                       d5->lam[k] + .0025 * n5->lam[k]);
    double top = maxf(l[0], l[1]), want = top + log(exp(l[0] - top) + exp(l[1] - top));
    NEAR(lp, want, TOL(1e-5, 2e-2), "mixture on five modes");
}

static void check_loglik(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    enum { B = 3, CH = 2, N = 6, S = B * N * CH };
    double *t = fd_new(&a, double, 801);
    check_loglik_mode(a);

    /* many modes: scalar and modal processes, Nyquist modes, channels, every scheme */
    for (int even = 0; even < 2; even++) {
        int n = even ? N : 5;
        fd_space s = fd_grid(&a, 1, &n, NULL, NULL, CH);
        fd_cov *ns = fd_cov_matern(&a, &s, 1, .3, 1), *ds = fd_cov_matern(&a, &s, 1, .2, 1.5);
        fd_process p[4] = { fd_vp(ns, .1, 20), fd_fdp(&a, ns, .1, 5, NULL), fd_flow(ns, .02),
                            fd_heat(ns, 1.3, .01, clock2, &clock_g, 2) };
        fd_real x[S], m[N * CH];
        fd_cov_draw(ds, fd_seed(91), 0, B, x, a);
        fd_cov_draw(ns, fd_seed(92), 0, 1, m, a);
        for (int i = 0; i < 4; i++)
            for (int scheme = FD_PF_HEUN; scheme <= FD_PF_RK4; scheme++)
                check_loglik_flow(i, &p[i], scheme, ds, m, x, a);
        check_loglik_kind(even, &p[0], m, x, a);
        OK(!st.code, "status: %s", st.code ? st.what : "");
    }
    /* a mixture; the flow starts without error since m = 0 */
    fd_cov *one = single(&a, 1);
    fd_process fl = fd_flow(one, .05);
    const fd_cov *cc[2] = { single_on(&a, one, .1), single_on(&a, one, .2) };
    fd_real mus[2] = { -1.5, 1 }, xs[4] = { (fd_real)-1.2, (fd_real)-.3, (fd_real).1, (fd_real).9 };
    double lp[4], lq[4];
    fd_sampler how = { .p = &fl, .t = t, .steps = 800, .scheme = FD_PF_RK4 };
    how.model = fd_oracle_mix(&a, &fl, 2, (double[]){ .3, .7 }, mus, cc);
    fd_times(&fl, FD_UNIFORM, 0, 800, t, &st);
    fd_loglik(&how, 0, fd_seed(1), 0, 4, xs, lp, a);
    fd_loglik(&how, 1, fd_seed(1), 0, 4, xs, lq, a);
    double ends[2] = { 1, 0 }, la[4];
    fd_sampler ad2 = how;
    ad2.scheme = FD_PF_ADAPTIVE, ad2.t = ends, ad2.steps = 1, ad2.rtol = ad2.atol = TOL(1e-9, 1e-6);
    fd_loglik(&ad2, 0, fd_seed(1), 0, 4, xs, la, a);
    for (int i = 0; i < 4; i++) {
        double v = .0025, want = log(.3 * exp(log_normal(xs[i], -1.5, .1 + v)) + .7
                                     * exp(log_normal(xs[i], 1, .2 + v)));
        NEAR(lp[i], want, TOL(1e-6, 3e-3), "mixture at %g", xs[i]);
        NEAR(la[i], want, TOL(1e-7, 3e-3), "mixture at %g, adaptive", xs[i]);
        NEAR(lq[i], want, TOL(1e-6, 3e-3), "mixture at %g, probes", xs[i]);
    }
    check_loglik_five(t, a);
    OK(!st.code, "status: %s", st.code ? st.what : "");
    how.p = &fl, how.scheme = FD_DDIM;
    fd_loglik(&how, 0, fd_seed(1), 0, 1, xs, lp, a);
    OK(st.code == FD_EARG, "not a flow scheme");
    st.code = 0, how.scheme = FD_PF_HEUN, how.model.var = NULL;
    fd_loglik(&how, 0, fd_seed(1), 0, 1, xs, lp, a);
    char text[200];
    fd_explain(&st, text, sizeof text);
    OK(!strcmp(text, "fd_loglik: the model has no variance, or for probes no derivative on a grid"),
       "explained as '%s'", text);
    st.code = 0, how.model.vjp = NULL;
    fd_loglik(&how, 1, fd_seed(1), 0, 1, xs, lp, a);
    OK(st.code == FD_EARG, "no derivative");
    st.code = 0;
    OK(fd_gauss_logp(NULL, NULL, xs, a) == 0, "of a failed covariance");
}

/* Many modes: equality for scalar and modal processes, Nyquist left out. */
static void check_elbo_modes(fd_arena a)
{
    enum { N = 6, CH = 2 };
    double t[201], nll[2];
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, CH);
    fd_cov *ns = fd_cov_matern(&a, &s, 1, .3, 1), *ds = fd_cov_matern(&a, &s, 1, .2, 1.5);
    fd_process p[2] = { fd_vp(ns, .1, 20), fd_fdp(&a, ns, .1, 5, NULL) };
    fd_real x[2 * N * CH], mm[N * CH];
    fd_cov_draw(ds, fd_seed(91), 0, 2, x, a);
    fd_cov_draw(ns, fd_seed(92), 0, 1, mm, a);
    for (int i = 0; i < 2; i++) {
        fd_sampler h = { .p = &p[i], .t = t, .steps = 200, .start = FD_START_MATCHED, .mean = mm,
                         .cov = ds };
        h.model = fd_oracle_gauss(&a, &p[i], mm, ds);
        fd_times(&p[i], FD_GEOMETRIC, 0, 200, t, a.st);
        fd_elbo(&h, 0, fd_seed(1), 0, 2, x, nll, NULL, a);
        for (int j = 0; j < 2; j++)
            NEAR(-nll[j], fd_gauss_logp(ds, mm, x + j * N * CH, a), TOL(1e-7, 5e-2),
                 "process %d, many modes", i);
        double one;
        fd_elbo(&h, 0, fd_seed(1), 1, 1, x + N * CH, &one, NULL, a);
        OK(one == nll[1], "alone or in a batch");
    }
}

/* A mixture: draws give a bound, close for the exact model. What cannot be. */
static void check_elbo_mixture(fd_arena a)
{
    enum { R = 40 };
    double t[61], nll[1], m = 0, m2 = 0;
    fd_space s = fd_grid(&a, 1, (int[]){ 6 }, NULL, NULL, 2);
    fd_cov *ds = fd_cov_matern(&a, &s, 1, .2, 1.5);
    fd_cov *one = single(&a, 1);
    fd_process vl = fd_vp(one, .1, 40);
    const fd_cov *cc[2] = { single_on(&a, one, .1), single_on(&a, one, .2) };
    fd_real mus[2] = { -1.5, 1 }, xs = (fd_real).1;
    fd_sampler h = { .p = &vl, .t = t, .steps = 60 };
    h.model = fd_oracle_mix(&a, &vl, 2, (double[]){ .3, .7 }, mus, cc);
    fd_times(&vl, FD_LOGSNR, 0, 60, t, a.st);
    for (int i = 0; i < R; i++) {
        fd_elbo(&h, 4, fd_seed(3), i, 1, &xs, nll, NULL, a);
        m += nll[0] / R, m2 += nll[0] * nll[0] / R;
    }
    double want = -log(.3 * exp(log_normal(xs, -1.5, .1)) + .7 * exp(log_normal(xs, 1, .2)));
    NEAR(m, want, 5 * sqrt((m2 - m * m) / R) + 2e-3, "mixture: E of the bound");
    OK(!a.st->code, "status: %s", a.st->code ? a.st->what : "");
    h.steps = 0;
    fd_elbo(&h, 0, fd_seed(1), 0, 1, &xs, nll, NULL, a);
    OK(a.st->code == FD_EARG, "no steps");
    a.st->code = 0, h.steps = 60, h.start = FD_START_MATCHED, h.cov = ds;
    fd_elbo(&h, 0, fd_seed(1), 0, 1, &xs, nll, NULL, a);
    OK(a.st->code == FD_ESHAPE, "a start with other modes");
}

static void check_elbo(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    double lam = .7, c = .25, mu = 1.3, *t = fd_new(&a, double, 401), nll[1], part[3], eps = 1e-3;
    fd_real mean = (fd_real)mu, x0 = (fd_real)1.9;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process vp = fd_vp(noise, .1, 20);
    fd_sampler how = { .p = &vp, .t = t, .steps = 400, .start = FD_START_MATCHED, .mean = &mean,
                       .cov = c0 };
    how.model = fd_oracle_gauss(&a, &vp, &mean, c0);
    fd_times(&vp, FD_LOGSNR, 0, 400, t, &st);
    fd_elbo(&how, 0, fd_seed(1), 0, 1, &x0, nll, part, a);
    NEAR(-nll[0], log_normal(1.9, mu, c), TOL(2e-10, 2e-3), "the bound is the density");
    fd_real mean8 = (fd_real).8;            /* a number from elsewhere: N(.8, .3) at 1.9 */
    fd_sampler h8 = how;
    double nll8;
    h8.mean = &mean8, h8.cov = single_on(&a, noise, .3);
    h8.model = fd_oracle_gauss(&a, &vp, &mean8, h8.cov);
    fd_elbo(&h8, 0, fd_seed(1), 0, 1, &x0, &nll8, NULL, a);
    NEAR(-nll8, -2.333618797708, TOL(2e-10, 2e-3), "the bound is the density, N(.8, .3)");
    fd_coef T = fd_law(&vp, 1, 0), E = fd_law(&vp, eps, 0);
    double PT = T.m * T.m * c + T.v * lam, P = E.m * E.m * c + E.v * lam, v = E.v * lam,
        V = c * v / P;
    NEAR(part[0], .5 * (T.v * lam / PT - 1 - log(T.v * lam / PT) + pow(T.m * (1.9 - mu), 2) / PT),
         TOL(1e-14, 1e-8), "its start");
    double err = v * v * pow(mu - 1.9, 2) / (P * P) + c * c * E.m * E.m * v / (P * P);
    NEAR(part[1], .5 * (log(2 * PI * V) + err / V), TOL(1e-13, 1e-3), "its end");
    NEAR(part[0] + part[1] + part[2], nll[0], 1e-12, "its sum");
    /* a wrong model, a wrong start: higher; without a variance the end is wider */
    wrong w = { how.model, &vp, .1, 0 };
    double bad[1];
    fd_sampler h2 = how;
    h2.model = (fd_model){ FD_X0, wrong_eval, NULL, NULL, &w, NULL };
    fd_elbo(&h2, 0, fd_seed(1), 0, 1, &x0, bad, NULL, a);
    OK(bad[0] > nll[0] + 1e-3, "a wrong score costs: %g", bad[0] - nll[0]);
    h2 = how, h2.model.var = NULL;
    fd_elbo(&h2, 0, fd_seed(1), 0, 1, &x0, bad, part, a);
    NEAR(part[1], .5 * (log(2 * PI * v / (E.m * E.m)) + err * E.m * E.m / v), TOL(1e-12, 1e-3),
         "end without variance");
    /* draws: unbiased */
    double m = 0, m2 = 0;
    enum { R = 40 };
    fd_times(&vp, FD_LOGSNR, 0, 30, t, &st);
    how.steps = 30;
    fd_elbo(&how, 0, fd_seed(1), 0, 1, &x0, bad, NULL, a);
    for (int i = 0; i < R; i++) {
        fd_elbo(&how, 1, fd_seed(2), i, 1, &x0, nll, NULL, a);
        m += nll[0] / R, m2 += nll[0] * nll[0] / R;
    }
    NEAR(m, bad[0], 5 * sqrt((m2 - m * m) / R), "by draws");
    check_elbo_modes(a);
    check_elbo_mixture(a);
}

/* D + d1 x + d0 */
typedef struct { fd_model of; double d1, d0; } off;

static void off_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y, fd_arena scratch)
{
    const off *o = self;
    o->of.eval(o->of.self, s, b, x, t, y, scratch);
    for (ptrdiff_t i = 0; i < b * fd_size(s); i++) y[i] += (fd_real)(o->d1 * x[i] + o->d0);
}

/* a constant error in one mode */
typedef struct { fd_model of; const fd_real *e; } bent;

static void bent_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      fd_real *y, fd_arena scratch)
{
    const bent *o = self;
    ptrdiff_t n = fd_size(s);
    o->of.eval(o->of.self, s, b, x, t, y, scratch);
    for (ptrdiff_t i = 0; i < b * n; i++) y[i] += o->e[i % n];
}

/* A score that is 1 + delta times the right one: y_s/y_t = (P_s/P_t)^((1 + d)/2) (m_t/m_s)^d. */
static void check_scaled(int i, const fd_process *p, const fd_cov *c0, double mu, fd_arena a)
{
    const double lam = p->noise->lam[0], c = c0->lam[0], delta = .15;
    double t[1001];
    fd_real mean = (fd_real)mu;
    wrong w = { fd_oracle_gauss(&a, p, &mean, c0), p, delta, 0 };
    fd_sampler how = { .p = p, .t = t, .steps = 1000, .scheme = FD_PF_RK4 };
    how.model = (fd_model){ FD_X0, wrong_eval, NULL, NULL, &w, NULL };
    fd_times(p, FD_UNIFORM, 0, 1000, t, a.st);
    fd_real x = (fd_real)-.9;
    for (int k = 0; k < 1000; k++) fd_advance(&how, t[k], t[k + 1], 1, &x, NULL, NULL, a);
    fd_coef T = fd_law(p, t[0], 0), S = fd_law(p, t[1000], 0);
    double PT = T.m * T.m * c + T.v * lam, PS = S.m * S.m * c + S.v * lam;
    double want = S.m * mu + (-.9 - T.m * mu) * pow(PS / PT, .5 * (1 + delta))
        * pow(T.m / S.m, delta);
    NEAR(x, want, TOL(1e-8, 2e-3), "scaled score, process %d", i);
}

/* A constant error in mode k moves that mode, by what its rows say, and no other. */
static void check_bent(fd_arena a)
{
    double t[11];
    enum { N = 9 };
    static const int bc[3] = { FD_PERIODIC, FD_NEUMANN, FD_DIRICHLET };
    for (int i = 0; i < 3; i++) {
        fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, &bc[i], 1);
        fd_cov *ns = fd_cov_matern(&a, &s, 1, .3, 1.5), *d9 = fd_cov_matern(&a, &s, 1, .2, 2.5);
        fd_process p[2] = { fd_vp(ns, .1, 20), fd_heat(ns, 1.3, .01, NULL, NULL, 2) };
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < N; k += 3) {
                fd_real x[N], y[N], e[N], u[N] = { 0 };
                u[k] = (fd_real).1;
                fd_from_modes(&s, 1, u, e, a);
                bent w = { fd_oracle_gauss(&a, &p[j], NULL, d9), e };
                fd_sampler how = { .p = &p[j], .model = w.of, .t = t, .steps = 10,
                                   .scheme = FD_ANCESTRAL };
                fd_times(&p[j], FD_UNIFORM, 0, 10, t, a.st);
                fd_sample(&how, fd_seed(4), 0, 1, x, a);
                how.model = (fd_model){ FD_X0, bent_eval, NULL, NULL, &w, NULL };
                fd_sample(&how, fd_seed(4), 0, 1, y, a);
                double want = 0, worst = 0;
                for (int l = 0; l < 10; l++) {
                    fd_coef f = fd_law(&p[j], t[l], k);
                    fd_row r = fd_step_row(&p[j], FD_ANCESTRAL, 0, t[l], t[l + 1], k, a.st);
                    double g = d9->lam[k] * f.m / (f.m * f.m * d9->lam[k] + f.v * ns->lam[k]);
                    want = (r.ax + r.aD * g) * want + r.aD * .1;
                }
                for (int l = 0; l < N; l++) y[l] -= x[l];
                fd_to_modes(&s, 1, y, u, a);
                NEAR(u[k], want, TOL(1e-13, 1e-5), "shift of mode %d", k);
                for (int l = 0; l < N; l++) if (l != k) worst = maxf(worst, fabs(u[l]));
                NEAR(worst, 0, TOL(1e-13, 1e-5), "no other mode moves");
            }
    }
}

static void check_wrong(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    double lam = .7, c = .25, mu = 1.3, *t = fd_new(&a, double, 4001);
    fd_real mean = (fd_real)mu;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process vp = fd_vp(noise, .1, 20), ve = fd_ve(noise, .1, 9);
    for (int i = 0; i < 2; i++) check_scaled(i, i ? &ve : &vp, c0, mu, a);
    /* an affine error: KL(p_e | p_model,e) <= KL(p_T | start) + path KL */
    static const double ds[3][2] = { { .1, 0 }, { 0, .2 }, { -.08, .15 } };
    for (int i = 0; i < 3; i++) {
        off o = { fd_oracle_gauss(&a, &vp, &mean, c0), ds[i][0], ds[i][1] };
        vp.tmin = .02;
        fd_sampler how = { .p = &vp, .t = t, .steps = 4000, .scheme = FD_EULER_MARUYAMA };
        how.model = (fd_model){ FD_X0, off_eval, NULL, NULL, &o, NULL };
        fd_times(&vp, FD_UNIFORM, 0, 4000, t, &st);
        fd_coef T = fd_law(&vp, 1, 0), S = fd_law(&vp, .02, 0);
        gauss w = { 0, T.v * lam };
        double PT = T.m * T.m * c + T.v * lam, r = PT / w.V, path = .5
            * (r - 1 - log(r) + pow(T.m * mu, 2) / w.V);
        for (int k = 0; k < 4000; k++) {
            double h = t[k] - t[k + 1];
            fd_coef f = fd_law(&vp, t[k] - .5 * h, 0);
            double P = f.m * f.m * c + f.v * lam, e2 = pow(o.d1 * f.m * mu + o.d0, 2) + o.d1 * o.d1
                * P;
            path += .5 * h * q_of(f) * f.m * f.m / (f.v * f.v * lam) * e2;
            w = push(&how, 0, t[k], t[k + 1], w, 1, a);
        }
        double PS = S.m * S.m * c + S.v * lam;
        r = PS / w.V;
        double kl = .5 * (r - 1 - log(r) + pow(S.m * mu - w.M, 2) / w.V);
        OK(kl > 1e-4 && kl < path, "KL %g <= path KL %g", kl, path);
        /* the bound of fd_elbo, averaged over data by x0 = mu +- sd, less that of the exact D */
        double got = 0;
        fd_times(&vp, FD_LOGSNR, 0, 200, t, &st);
        how.steps = 200;
        for (int j = 0; j < 2; j++) {
            double nll[1], part[3], good[3];
            fd_real x0 = (fd_real)(mu + (j ? 1 : -1) * sqrt(c));
            fd_elbo(&how, 0, fd_seed(1), 0, 1, &x0, nll, part, a);
            fd_sampler exact = how;
            exact.model = o.of;
            fd_elbo(&exact, 0, fd_seed(1), 0, 1, &x0, nll, good, a);
            got += .5 * (part[2] - good[2]);
        }
        path -= .5 * (PT / (T.v * lam) - 1 - log(PT / (T.v * lam)) + pow(T.m * mu, 2)
                      / (T.v * lam));
        NEAR(got, path, 2e-3 * path + TOL(0, 1e-2), "the path term of fd_elbo");
    }
    check_bent(a);
    OK(!st.code, "status: %s", st.code ? st.what : "");
}

/* covariances that do not commute: z = U^T L^-1 x, L L^T = Sn, L^-1 Sd L^-T = U c U^T, lam = 1 */
static void check_pencil(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    enum { N = 7 };
    double Sn[N * N], Sd[N * N], A[N * N], L[N * N], w[N], V[N * N], M[N * N], x[N], y[N], ones[N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double d = (i - j) / 7.;
            Sn[i * N + j] = exp(-fabs(d) / .3), Sd[i * N + j] = exp(-d * d / .1) + .1 * (i == j);
        }
    memcpy(L, Sn, sizeof L);
    fd_cholesky(&st, N, L);
    for (int j = 0; j < N; j++) {                           /* L^-1 Sd, then of its transpose */
        for (int i = 0; i < N; i++) x[i] = Sd[i * N + j];
        fd_solve_lower(N, L, 0, x);
        for (int i = 0; i < N; i++) M[j * N + i] = x[i];
    }
    for (int j = 0; j < N; j++) {
        for (int i = 0; i < N; i++) x[i] = M[i * N + j];
        fd_solve_lower(N, L, 0, x);
        for (int i = 0; i < N; i++) A[i * N + j] = x[i];
    }
    fd_eigen(&st, N, A, w, V, a);
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_DIRICHLET }, 1);
    for (int i = 0; i < N; i++) ones[i] = 1, x[i] = sin(2.385 * i);
    fd_process p = fd_vp(fd_cov_table(&a, &s, ones), .1, 20);
    fd_model m = fd_oracle_gauss(&a, &p, NULL, fd_cov_table(&a, &s, w));
    double t = .3;
    fd_coef f = fd_law(&p, t, 0);
    fd_real u[N], g[N], D[N];
    memcpy(y, x, sizeof y);
    fd_solve_lower(N, L, 0, y);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += V[i * N + j] * y[j];
        u[i] = (fd_real)sum;
    }
    fd_from_modes(&s, 1, u, g, a);
    m.eval(m.self, &s, 1, g, &t, D, a);
    fd_to_modes(&s, 1, D, D, a);
    for (int i = 0; i < N; i++) {                           /* D = L U D_z */
        y[i] = 0;
        for (int k = 0; k < N; k++)
            for (int j = 0; j <= i; j++) y[i] += L[i * N + j] * V[k * N + j] * D[k];
    }
    double C[N * N], z[N], worst = 0;                       /* m Sd (m^2 Sd + v Sn)^-1 x */
    for (int i = 0; i < N * N; i++) C[i] = f.m * f.m * Sd[i] + f.v * Sn[i];
    memcpy(z, x, sizeof z);
    fd_cholesky(&st, N, C);
    fd_solve_lower(N, C, 0, z);
    fd_solve_lower(N, C, 1, z);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += f.m * Sd[i * N + j] * z[j];
        worst = maxf(worst, fabs(sum - y[i]));
    }
    NEAR(worst, 0, TOL(1e-12, 1e-5), "generalised eigenvectors against the matrix form");
    OK(!st.code, "status");
}

typedef struct { double l; } lenscale;
static double kernel_exp(const double *x, const double *y, const void *prm)
{
    return exp(-fabs(*x - *y) / ((const lenscale *)prm)->l);
}
static double kernel_bent(const double *x, const double *y, const void *prm)
{
    double d = *x - *y;
    return (1 + .7 * *x * *y) * exp(-d * d / ((const lenscale *)prm)->l) + (*x == *y ? .05 : 0);
}

/* What the points know at a time: E the modes, Kd the kernel of the data, Mt = m, mK = m Kd, and Q
 * the Cholesky factor of m Kd m + v C. */
enum { KERNEL_N = 7 };
typedef struct {
    double E[KERNEL_N][KERNEL_N], Kd[KERNEL_N * KERNEL_N], Mt[KERNEL_N * KERNEL_N];
    double mK[KERNEL_N * KERNEL_N], Q[KERNEL_N * KERNEL_N];
} matrices;

static matrices matrices_of(const fd_process *p, double t, fd_arena a)
{
    enum { N = KERNEL_N };
    matrices K;
    double mv[N];
    fd_real unit[N * N] = { 0 };
    fd_space one = p->noise->s;
    one.ch = 1;
    for (int j = 0; j < N; j++) unit[j * N + j] = 1;
    fd_from_modes(&one, N, unit, unit, a);
    for (int j = 0; j < N; j++) {
        mv[j] = fd_law(p, t, j).m;
        for (int q = 0; q < N; q++) K.E[j][q] = unit[j * N + q];
    }
    for (int q = 0; q < N; q++)                   /* Mt = m as a matrix of points, K, v C */
        for (int r = 0; r < N; r++) {
            double xq = (q + .5) / N, xr = (r + .5) / N;
            K.Kd[q * N + r] = kernel_bent(&xq, &xr, &(lenscale){ .1 });
        }
    for (int q = 0; q < N; q++)
        for (int r = 0; r < N; r++) {
            K.Mt[q * N + r] = K.Q[q * N + r] = 0;
            for (int j = 0; j < N; j++) {
                K.Mt[q * N + r] += K.E[j][q] * mv[j] * K.E[j][r] / N;
                K.Q[q * N + r] += K.E[j][q] * fd_law(p, t, j).v * p->noise->lam[j] * K.E[j][r];
            }
        }
    for (int q = 0; q < N; q++)
        for (int r = 0; r < N; r++) {
            K.mK[q * N + r] = 0;
            for (int j = 0; j < N; j++) K.mK[q * N + r] += K.Mt[q * N + j] * K.Kd[j * N + r];
        }
    for (int q = 0; q < N; q++)
        for (int r = 0; r < N; r++)
            for (int j = 0; j < N; j++) K.Q[q * N + r] += K.mK[q * N + j] * K.Mt[j * N + r];
    fd_cholesky(a.st, N, K.Q);
    return K;
}

/* By matrices of the points, process i: the mean, the variance, and J by a difference. */
static void check_kernel_points(int i, const fd_process *p, const fd_real *mean, const fd_cov *data,
                                const fd_real *x, const fd_real *dy, const double *t, fd_arena a)
{
    enum { N = KERNEL_N, CH = 2, B = 2, S = B * N * CH };
    fd_real y[S], z[S];
    const fd_cov *n = p->noise;
    fd_model k = fd_oracle_kernel(&a, p, mean, data);
    k.eval(k.self, &n->s, B, x, t, y, a);
    k.vjp(k.self, &n->s, B, x, t, dy, z, a);
    double worst = 0, worst2 = 0, dot[2] = { 0 };
    for (int b = 0; b < B; b++) {
        const matrices K = matrices_of(p, t[b], a);
        double w[N];
        for (int c = 0; c < CH; c++) {
            const fd_real *xc = x + (b * CH + c) * N, *mc = mean + c * N;
            for (int q = 0; q < N; q++) {
                w[q] = xc[q];
                for (int j = 0; j < N; j++) w[q] -= K.Mt[q * N + j] * mc[j];
            }
            fd_solve_lower(N, K.Q, 0, w);
            fd_solve_lower(N, K.Q, 1, w);
            for (int q = 0; q < N; q++) {
                double D = mc[q];
                for (int j = 0; j < N; j++) D += K.mK[j * N + q] * w[j];
                worst = maxf(worst, fabs(D - y[(b * CH + c) * N + q]));
            }
        }
        {                                               /* its variance, mode by mode */
            fd_real v[N * CH];
            k.var(k.self, &n->s, 1, x, &t[b], v, a);
            for (int j = 0; j < N; j++) {
                double var = 0, g[N];
                for (int q = 0; q < N; q++) {
                    g[q] = 0;
                    for (int r = 0; r < N; r++) {
                        var += K.E[j][q] * K.Kd[q * N + r] * K.E[j][r] / N / N;
                        g[q] += K.mK[q * N + r] * K.E[j][r] / N;
                    }
                }
                fd_solve_lower(N, K.Q, 0, g);
                for (int q = 0; q < N; q++) var -= g[q] * g[q];
                worst2 = maxf(worst2, fabs(var - v[j]));
            }
        }
    }
    NEAR(worst, 0, TOL(1e-11, 3e-5), "kernel matrices, case %d", i);
    NEAR(worst2, 0, TOL(1e-11, 3e-5), "kernel matrices, case %d: variance", i);
    fd_real up[S], yu[S];                             /* D is affine: dy J dy is a difference */
    for (int j = 0; j < S; j++) up[j] = x[j] + dy[j];
    k.eval(k.self, &n->s, B, up, t, yu, a);
    for (int j = 0; j < S; j++)
        dot[0] += dy[j] * ((double)yu[j] - y[j]), dot[1] += (double)z[j] * dy[j];
    NEAR(dot[1], dot[0], TOL(1e-11, 1e-4) * fabs(dot[0]) + TOL(0, 1e-4), "case %d: vjp", i);
}

/* the same by the library: against the matrices of the points; where modes agree, against the
 * diagonal model */
static void check_kernel(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { N = 7, CH = 2, B = 2, S = B * N * CH };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, CH);
    fd_real mean[N * CH], x[S], y[S], z[S], dy[S];
    double t[B] = { .3, .12 };
    fd_normal(fd_seed(171), N * CH, mean);
    fd_normal(fd_seed(172), S, x);
    fd_normal(fd_seed(173), S, dy);
    fd_cov *own = fd_cov_matern(&a, &s, 1, .3, 1), *same = fd_cov_matern(&a, &s, .8, .2, 1.5);
    fd_cov *data = fd_cov_kernel(&a, &s, kernel_bent, &(lenscale){ .1 });
    fd_cov *kn = fd_cov_kernel(&a, &s, kernel_exp, &(lenscale){ .3 });
    fd_process p[3] = { fd_vp(own, .1, 20), fd_heat(own, 1.3, .02, NULL, NULL, 2),
                        fd_vp(kn, .1, 20) };
    for (int i = 0; i < 2; i++) {                           /* common modes: fd_oracle_gauss */
        fd_model g = fd_oracle_gauss(&a, &p[i], mean, same);
        fd_model k = fd_oracle_kernel(&a, &p[i], mean, same);
        g.eval(g.self, &s, B, x, t, y, a);
        k.eval(k.self, &s, B, x, t, z, a);
        NEAR(test_rel(S, z, y), 0, TOL(1e-12, 1e-5), "common modes, process %d", i);
        g.vjp(g.self, &s, B, x, t, dy, y, a);
        k.vjp(k.self, &s, B, x, t, dy, z, a);
        NEAR(test_rel(S, z, y), 0, TOL(1e-12, 1e-5), "common modes, process %d: vjp", i);
        g.var(g.self, &s, B, x, t, y, a);
        k.var(k.self, &s, B, x, t, z, a);
        NEAR(test_rel(S, z, y), 0, TOL(1e-12, 1e-5), "common modes, process %d: variance", i);
    }
    for (int i = 0; i < 3; i++) check_kernel_points(i, &p[i], mean, data, x, dy, t, a);
    /* even grids: no noise on a mode, and data there or not */
    fd_space ev = fd_grid(&a, 1, (int[]){ 6 }, NULL, NULL, 1);
    fd_cov *ne = fd_cov_matern(&a, &ev, 1, .3, 1), *de = fd_cov_matern(&a, &ev, .8, .2, 1.5);
    for (int i = 0; i < 2; i++) {
        fd_process q = fd_vp(ne, .1, 20);
        if (i) de->lam[5] = .1;
        fd_model g = fd_oracle_gauss(&a, &q, NULL, de), k = fd_oracle_kernel(&a, &q, NULL, de);
        g.eval(g.self, &ev, 2, x, t, y, a);
        k.eval(k.self, &ev, 2, x, t, z, a);
        NEAR(test_rel(12, z, y), 0, TOL(1e-12, 1e-4), "a mode without noise, data there %d", i);
    }
    OK(!st.code, "status: %s", st.code ? st.what : "");
    OK(!fd_oracle_kernel(&a, &p[0], NULL, ne).eval && st.code == FD_ESHAPE, "other points");
    st.code = 0;
    fd_model k = fd_oracle_kernel(&a, &p[0], NULL, data);
    k.eval(k.self, &ev, 1, x, t, y, a);
    OK(st.code == FD_ESHAPE, "another space");
}

/* FFM with the VP path ends at N(.9932 mu, .9865 c + .0135 lam) */
static void check_ends(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    double lam = .7, c = .25, mu = 1.3, t[401], A, b, n;
    fd_real mean = (fd_real)mu;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process fv = fd_flow_vp(noise, .08);
    fd_sampler how = { .p = &fv, .t = t, .steps = 400, .scheme = FD_PF_RK4 };
    how.model = fd_oracle_gauss(&a, &fv, &mean, c0);
    fd_times(&fv, FD_UNIFORM, 0, 400, t, &st);
    gauss w = { 0, lam };
    for (int k = 0; k < 400; k++) {
        probe1(&how, 0, t[k], t[k + 1], &A, &b, &n, a);
        w.M = A * w.M + b, w.V *= A * A;
    }
    fd_coef e = fd_law(&fv, 0, 0);
    NEAR(w.M, e.m * mu, TOL(1e-9, 1e-4), "FFM-VP: mean");
    NEAR(w.V, e.m * e.m * c + e.v * lam, TOL(1e-9, 1e-4), "FFM-VP: variance");
    NEAR(w.V, .9865 * c + .0135 * lam, 2e-5 + TOL(0, 1e-4), "as published");
    OK(!st.code, "status");
}

/* ---- interpolants ---- */

static fd_schedule cosA, sinB;
static double cosA(double r, const void *self, double *d)
{
    (void)self;
    *d = -PI / 2 * sin(PI * r / 2);
    return cos(PI * r / 2);
}
static double sinB(double r, const void *self, double *d)
{
    (void)self;
    *d = PI / 2 * cos(PI * r / 2);
    return sin(PI * r / 2);
}

/* A path: its states and targets; the exact model is the regression: slope Cov(target, x)/Var(x)
 * in each mode, through the means. */
static void check_path(int k, const fd_interpolant *p, const fd_cov *c0, const fd_cov *c1,
                       const fd_real *m, const double *r, fd_arena a)
{
    enum { N = 6, CH = 2, B = 3, S = B * N * CH };
    const fd_cov *noise = p->noise;
    const fd_space s = noise->s;
    fd_real x0[S], x1[S], z[S], x[S], y[S], xi[S];
    fd_normal(fd_seed(161), S, x0);
    fd_normal(fd_seed(162), S, x1);
    double w[B][6], worst[3] = { 0 };
    for (int i = 0; i < B; i++) {
        w[i][0] = k ? cosA(r[i], NULL, &w[i][3]) : 1 - r[i];
        w[i][1] = k ? sinB(r[i], NULL, &w[i][4]) : r[i];
        w[i][2] = k ? bump(r[i], NULL, &w[i][5]) : .7 * sin(PI * r[i]) * sin(PI * r[i]);
        if (!k) w[i][3] = -1, w[i][4] = 1, w[i][5] = 1.4 * PI * sin(PI * r[i]) * cos(PI * r[i]);
    }
    fd_interpolant_draw(p, fd_seed(164), 5, B, x0, x1, r, x, z, a);
    fd_cov_draw(noise, fd_seed(164), 5, B, xi, a);
    OK(!memcmp(z, xi, sizeof z), "z is draw first + i");
    fd_interpolant_target(p, FD_VELOCITY, B, x0, x1, z, r, y, a);
    for (int j = 0; j < S; j++) {
        const double *c = w[j / (N * CH)];
        worst[0] = maxf(worst[0], fabs(x[j] - c[0] * x0[j] - c[1] * x1[j] - c[2] * z[j]));
        worst[1] = maxf(worst[1], fabs(y[j] - c[3] * x0[j] - c[4] * x1[j] - c[5] * z[j]));
    }
    NEAR(worst[0], 0, 10 * EPS, "state of path %d", k);
    NEAR(worst[1], 0, 40 * EPS, "velocity of path %d", k);
    fd_interpolant_target(p, FD_NOISE, B, x0, x1, z, r, y, a);
    OK(!memcmp(y, z, sizeof y), "the target of the noise");
    fd_interpolant_draw(p, fd_seed(164), 5, B, x0, x1, r, y, NULL, a);
    OK(!memcmp(x, y, sizeof y), "z is not wanted");

    /* the exact model is the regression: slope Cov(target, x)/Var(x) in each mode, through the
     * means */
    for (int kind = 0; kind < 2; kind++) {
        fd_model o = fd_oracle_interpolant(&a, p, kind ? FD_NOISE : FD_VELOCITY, m, c0,
                                           m + N * CH, c1);
        fd_real u[S], v[S], M[2 * N * CH];
        o.eval(o.self, &s, B, x, r, y, a);
        fd_to_modes(&s, B, x, u, a);
        fd_to_modes(&s, B, y, v, a);
        fd_to_modes(&s, 2, m, M, a);
        for (int j = 0; j < S; j++) {
            int q = j % (N * CH), mode = j % N;
            const double *c = w[j / (N * CH)];
            const double var[3] = { c0->lam[mode], c1->lam[mode], noise->lam[mode] };
            double V = 0, cross = 0, mean = c[0] * M[q] + c[1] * M[N * CH + q];
            double at = kind ? 0 : c[3] * M[q] + c[4] * M[N * CH + q];
            for (int i = 0; i < 3; i++) {
                V += c[i] * c[i] * var[i];
                cross += c[i] * (kind ? i == 2 : c[3 + i]) * var[i];
            }
            if (V > 0) at += cross / V * (u[j] - mean);
            worst[2] = maxf(worst[2], fabs(at - v[j]));
        }
        NEAR(worst[2], 0, TOL(1e-12, 1e-4), "exact model of path %d, kind %d", k, kind);
    }
}

/* With N(0, C) at one end it is the one-sided path. */
static void check_one_sided(const fd_cov *noise, const fd_cov *c1, const fd_real *m,
                            const double *r, fd_arena a)
{
    enum { N = 6, CH = 2, B = 3, S = B * N * CH };
    const fd_space s = noise->s;
    fd_real x[S], y[S], z[S];
    fd_normal(fd_seed(161), S, x);
    fd_process one = fd_path(noise, ot_A, ot_B, bump, &(double){ 0 });
    fd_interpolant two = { .noise = noise, .G = bump };
    fd_model o = fd_oracle_interpolant(&a, &two, FD_VELOCITY, NULL, noise, m, c1);
    fd_model g = fd_oracle_gauss(&a, &one, m, c1);
    double t[B];
    for (int i = 0; i < B; i++) t[i] = 1 - r[i];
    fd_cov_pow(noise, 0, B, x, x, a);
    o.eval(o.self, &s, B, x, r, y, a);
    fd_predict(&g, FD_VELOCITY, &one, B, x, t, z, a);
    fd_cov_pow(noise, 0, B, z, z, a);
    fd_cov_pow(noise, 0, B, y, y, a);
    NEAR(test_rel(S, y, z), 0, TOL(1e-11, 1e-4), "one end N(0, C): fd_path");
}

/* The law of n steps, up and down, flow and equation: to the other end, order 2. */
static void check_interpolant_steps(fd_arena a)
{
    double mus[2] = { -.6, 1.1 }, cs[2] = { .5, .2 }, lam = .8;
    fd_real mm[2] = { (fd_real)mus[0], (fd_real)mus[1] };
    fd_cov *n1 = single(&a, lam), *e0 = single_on(&a, n1, cs[0]), *e1 = single_on(&a, n1, cs[1]);
    for (int down = 0; down < 2; down++)
        for (int k = 0; k < 3; k++) {
            double err[2], c = k == 2 ? 1.5 : 0;
            fd_interpolant p = { .noise = n1, .g = .9 };
            if (k == 1) p.A = cosA, p.B = sinB, p.G = bump;
            fd_model u = fd_oracle_interpolant(&a, &p, FD_VELOCITY, mm, e0, mm + 1, e1);
            fd_model e = fd_oracle_interpolant(&a, &p, FD_NOISE, mm, e0, mm + 1, e1);
            for (int f = 0; f < 2; f++) {
                int n = 480 << f;
                gauss w = { mus[down], cs[down] }, end = { mus[!down], cs[!down] };
                double X = 1.7;
                fd_real path = (fd_real)X;
                for (int i = 0; i < n; i++) {
                    double from = (double)i / n, to = (i + 1.) / n;
                    fd_real q[3] = { 0, 1, 0 }, one = 1;
                    if (down) from = 1 - from, to = 1 - to;
                    fd_interpolant_step(&p, &u, c > 0 ? &e : NULL, c, from, to, 2, q, NULL, a);
                    fd_interpolant_step(&p, &u, c > 0 ? &e : NULL, c, from, to, 1, q + 2, &one, a);
                    double A = (double)q[1] - q[0], S2 = pow((double)q[2] - q[0], 2);
                    w = (gauss){ A * w.M + q[0], A * A * w.V + S2 * lam };
                    fd_interpolant_step(&p, &u, c > 0 ? &e : NULL, c, from, to, 1, &path, NULL, a);
                }
                err[f] = fabs(w.M - end.M) + fabs(w.V - end.V);
                if (!k) err[f] += fabs(path - end.M - sqrt(end.V / cs[down]) * (X - mus[down]));
                NEAR(err[f], 0, TOL(2e-3, 3e-3), "the other end, down %d, case %d, %d steps", down,
                     k, n);
            }
            if (EPS < 1e-10)
                NEAR(log2(err[0] / err[1]), 2, .25, "order, down %d, case %d (%g, %g)", down, k,
                     err[0], err[1]);
        }
}

static void check_interpolant(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { N = 6, CH = 2, B = 3, S = B * N * CH };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, CH);
    fd_cov *noise = fd_cov_matern(&a, &s, .8, .3, 1), *c0 = fd_cov_matern(&a, &s, 1, .2, 2.5);
    fd_cov *c1 = fd_cov_exp(&a, &s, .6, .3);
    fd_cov *n1 = single(&a, .8);
    fd_real x[S], y[S], m[2 * N * CH];
    double r[B] = { .13, .58, .91 };
    fd_normal(fd_seed(161), S, x);
    fd_normal(fd_seed(163), 2 * N * CH, m);
    fd_interpolant ps[2] = { { .noise = noise, .g = .7 },
                             { .noise = noise, .A = cosA, .B = sinB, .G = bump } };
    for (int k = 0; k < 2; k++) check_path(k, &ps[k], c0, c1, m, r, a);
    check_one_sided(noise, c1, m, r, a);
    check_interpolant_steps(a);
    OK(!st.code, "status: %s", st.code ? st.what : "");
    fd_interpolant p = { .noise = noise };
    fd_model u = fd_oracle_interpolant(&a, &p, FD_VELOCITY, NULL, c0, NULL, c1);
    memcpy(y, x, sizeof x);
    fd_interpolant_step(&p, &u, NULL, 1, 0, .1, B, x, NULL, a);
    OK(st.code == FD_EARG && !memcmp(x, y, sizeof x), "c > 0 without a model of the noise");
    st.code = 0;
    fd_interpolant_target(&p, FD_SCORE, B, x, x, x, r, y, a);
    OK(st.code == FD_EARG, "no such target");
    st.code = 0;
    OK(!fd_oracle_interpolant(&a, &p, FD_X0, NULL, c0, NULL, c1).eval && st.code == FD_EARG,
       "no such kind");
    st.code = 0;
    OK(!fd_oracle_interpolant(&a, &p, FD_VELOCITY, NULL, c0, NULL, n1).eval && st.code == FD_ESHAPE,
       "other modes");
    st.code = 0;
    u.eval(u.self, &n1->s, 1, x, r, y, a);
    OK(st.code == FD_ESHAPE, "another space");
}

/* mixtures at both ends: the law at r is one of pairs. One mode: a flow carries quantiles to
 * quantiles, the noise is the slope of the log density; many modes and channels: the odds and the
 * lines of the pairs, by hand */
typedef struct { int n; double w[3], M[3], c[3]; } mix1;
static const mix1 mix_end[2] = { { 2, { .3, .7 }, { -1.5, 1 }, { .1, .2 } },
                                 { 3, { .2, .5, .3 }, { -.4, .9, 2 }, { .05, .3, .1 } } };

static void mix_at(double r, double lam, double x, double *pdf, double *cdf)
{
    double A = cosA(r, NULL, pdf), B = sinB(r, NULL, pdf), G = bump(r, NULL, pdf);
    *pdf = *cdf = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) {
            double w = mix_end[0].w[i] * mix_end[1].w[j];
            double d = x - A * mix_end[0].M[i] - B * mix_end[1].M[j];
            double P = A * A * mix_end[0].c[i] + B * B * mix_end[1].c[j] + G * G * lam;
            *pdf += w * exp(-.5 * d * d / P) / sqrt(2 * PI * P);
            *cdf += .5 * w * erfc(-d / sqrt(2 * P));
        }
}

/* One mode: the flow carries quantiles; the noise is the slope of the log density. */
static void check_mix_mode(fd_arena a)
{
    double lam = .8, pdf[3], cdf[2];
    fd_cov *n1 = single(&a, lam);
    const fd_cov *c[2][3];
    fd_real M[2][3];
    fd_mix end[2];
    for (int e = 0; e < 2; e++) {
        for (int i = 0; i < mix_end[e].n; i++)
            c[e][i] = single_on(&a, n1, mix_end[e].c[i]), M[e][i] = (fd_real)mix_end[e].M[i];
        end[e] = (fd_mix){ mix_end[e].n, mix_end[e].w, M[e], c[e] };
    }
    fd_interpolant p = { .noise = n1, .A = cosA, .B = sinB, .G = bump };
    fd_model u = fd_oracle_interpolant_mix(&a, &p, FD_VELOCITY, &end[0], &end[1]);
    fd_model e = fd_oracle_interpolant_mix(&a, &p, FD_NOISE, &end[0], &end[1]);
    for (int down = 0; down < 2; down++) {
        enum { STEPS = 2000 };
        fd_real x[4] = { (fd_real)-1.2, (fd_real)-.3, (fd_real).1, (fd_real).9 }, y[4];
        memcpy(y, x, sizeof x);
        for (int k = 0; k < STEPS; k++) {
            double r = (double)k / STEPS, to = (k + 1.) / STEPS;
            fd_interpolant_step(&p, &u, NULL, 0, down ? 1 - r : r, down ? 1 - to : to, 4, y, NULL,
                                a);
        }
        for (int i = 0; i < 4; i++) {
            mix_at(down, lam, x[i], pdf, &cdf[0]);
            mix_at(!down, lam, y[i], pdf, &cdf[1]);
            NEAR(cdf[1], cdf[0], TOL(2e-6, 2e-4), "quantiles from end %d: %g to %g", down, x[i],
                 y[i]);
        }
    }
    for (int i = 0; i < 4; i++) {
        double r = .11 + .21 * i, d, h = 1e-4, G = bump(r, NULL, &d);
        fd_real x = (fd_real)(.7 * i - 1.1), z;
        e.eval(e.self, &n1->s, 1, &x, &r, &z, a);
        for (int k = 0; k < 3; k++) mix_at(r, lam, x + h * (k - 1), &pdf[k], cdf);
        NEAR(z, -G * lam * (log(pdf[2]) - log(pdf[0])) / (2 * h), TOL(1e-7, 1e-4),
             "noise at r = %g", r);
    }
}

/* The equation with noise ends in the data set, whatever it begins with. */
static void check_mix_ends(const fd_interpolant *p, const fd_mix *from, const fd_mix *data,
                           fd_real *x, fd_arena a)
{
    enum { N = 6, CH = 2, B = 2 };
    fd_real y[B * N * CH];
    fd_model v = fd_oracle_interpolant_mix(&a, p, FD_VELOCITY, from, data);
    fd_model z = fd_oracle_interpolant_mix(&a, p, FD_NOISE, from, data);
    for (int k = 0; k < 200; k++) {
        fd_cov_draw(p->noise, fd_stream(fd_seed(177), 's', (uint32_t)k), 0, B, y, a);
        fd_interpolant_step(p, &v, &z, 1, k / 200., (k + 1) / 200., B, x, y, a);
    }
    for (int b = 0; b < B; b++) {
        double best = 9;
        for (int i = 0; i < 3; i++)
            best = fmin(best, test_maxdiff(N * CH, x + b * N * CH, data->mean + i * N * CH));
        NEAR(best, 0, .05, "function %d ends in the data set", b);
    }
}

/* A mixture that is none. */
static void check_mix_wrong(const fd_interpolant *p, const fd_real *m0, const fd_mix *data,
                            const fd_cov *c0, fd_arena a)
{
    const fd_cov *both[2] = { c0, c0 };
    double w0[2] = { 1, 3 };
    fd_mix gauss2 = { 2, w0, m0, both };
    w0[0] = -1;
    OK(!fd_oracle_interpolant_mix(&a, p, FD_NOISE, &gauss2, data).eval && a.st->code == FD_EDATA,
       "a negative weight");
    a.st->code = 0, gauss2.n = 0;
    OK(!fd_oracle_interpolant_mix(&a, p, FD_NOISE, data, &gauss2).eval && a.st->code == FD_EARG,
       "no components");
    a.st->code = 0, gauss2.n = 2, w0[0] = 1, both[1] = single(&a, .8);
    OK(!fd_oracle_interpolant_mix(&a, p, FD_NOISE, data, &gauss2).eval && a.st->code == FD_ESHAPE,
       "other modes");
}

static void check_interpolant_mix(void)
{
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    enum { N = 6, CH = 2, B = 2, S = B * N * CH };
    check_mix_mode(a);
    /* two Gaussians here, three functions there; the last mode of six carries no noise and nothing
     * else */
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, CH);
    fd_cov *noise = fd_cov_matern(&a, &s, .8, .3, 1), *c0 = fd_cov_matern(&a, &s, 1, .2, 2.5);
    const fd_cov *both[2] = { c0, fd_cov_exp(&a, &s, .6, .3) };
    fd_real m0[2 * N * CH], m1[3 * N * CH], x[S], y[S], U[S], V[S], U0[2 * N * CH], U1[3 * N * CH];
    fd_normal(fd_seed(174), 2 * N * CH, m0);
    fd_normal(fd_seed(175), 3 * N * CH, m1);
    fd_normal(fd_seed(176), S, x);
    fd_cov_pow(noise, 0, 2, m0, m0, a);
    fd_cov_pow(noise, 0, 3, m1, m1, a);
    fd_cov_pow(noise, 0, B, x, x, a);
    double w0[2] = { 1, 3 }, r[B] = { .35, .8 }, f[3], g[3], worst = 0;
    fd_mix gauss2 = { 2, w0, m0, both }, data = { 3, NULL, m1, NULL };
    fd_interpolant p = { .noise = noise, .A = cosA, .B = sinB, .G = bump };
    fd_to_modes(&s, 2, m0, U0, a);
    fd_to_modes(&s, 3, m1, U1, a);
    fd_to_modes(&s, B, x, U, a);
    for (int kind = 0; kind < 2; kind++) {
        fd_model o = fd_oracle_interpolant_mix(&a, &p, kind ? FD_NOISE : FD_VELOCITY, &gauss2,
                                               &data);
        o.eval(o.self, &s, B, x, r, y, a);
        fd_to_modes(&s, B, y, V, a);
        for (int b = 0; b < B; b++) {
            double W[6], line[6][N * CH], sum = 0, all[N * CH] = { 0 };
            f[0] = cosA(r[b], NULL, &g[0]), f[1] = sinB(r[b], NULL, &g[1]);
            f[2] = bump(r[b], NULL, &g[2]);
            for (int q = 0; q < 6; q++) {
                double l = log(w0[q / 3] / 4) - log(3);
                for (int j = 0; j < N * CH; j++) {
                    int k = j % N;
                    double cc = both[q / 3]->lam[k];
                    double P = f[0] * f[0] * cc + f[2] * f[2] * noise->lam[k];
                    double S2 = f[0] * g[0] * cc + f[2] * g[2] * noise->lam[k];
                    double mu0 = U0[q / 3 * N * CH + j];
                    double mu1 = U1[q % 3 * N * CH + j];
                    double d = U[b * N * CH + j] - f[0] * mu0 - f[1] * mu1;
                    line[q][j] = 0;
                    if (noise->lam[k] == 0) continue;
                    line[q][j] = kind ? f[2] * noise->lam[k] / P * d
                                      : g[0] * mu0 + g[1] * mu1 + S2 / P * d;
                    l += log_normal(d, 0, P);
                }
                sum += W[q] = exp(l);
            }
            for (int q = 0; q < 6; q++)
                for (int j = 0; j < N * CH; j++) all[j] += W[q] / sum * line[q][j];
            for (int j = 0; j < N * CH; j++)
                if (noise->lam[j % N] > 0) worst = maxf(worst, fabs(all[j] - V[b * N * CH + j]));
        }
    }
    NEAR(worst, 0, TOL(1e-10, 2e-4), "pairs of a mixture and a data set");
    check_mix_ends(&p, &gauss2, &data, x, a);
    OK(!st.code, "status: %s", st.code ? st.what : "");
    check_mix_wrong(&p, m0, &data, c0, a);
}

/* Arguments that are out of their range, or not there: what is right is here. */
typedef struct {
    fd_space s;
    fd_cov *c;
    fd_process p;
    fd_model m;
    fd_sampler how;
    fd_interpolant way;
} proper;

static void proper_new(proper *w, fd_arena *a)
{
    static const double fall[] = { 1, .5, .1 };
    w->s = fd_grid(a, 1, (int[]){ 4 }, NULL, (int[]){ FD_NEUMANN }, 1);
    w->c = fd_cov_exp(a, &w->s, 1, .3);
    w->p = fd_vp(w->c, .1, 20);
    w->m = fd_oracle_gauss(a, &w->p, NULL, w->c);
    w->how = (fd_sampler){ .p = &w->p, .model = w->m, .t = fall, .steps = 2, .scheme = FD_DDIM };
    w->way = (fd_interpolant){ w->c, NULL, NULL, NULL, NULL, .5 };
}

static void wrong_schedules(const proper *w, fd_arena a)
{
    static const struct { int rule, T; double b1, bT; const char *text; } betas[] = {
        { FD_BETA_LINEAR - 1, 3, .1, .2, "no such schedule" },
        { FD_BETA_COSINE + 1, 3, .1, .2, "no such schedule" },
        { FD_BETA_LINEAR, 0, .1, .2, "T < 1" }, { FD_BETA_LINEAR, 3, 1, .2, "between 0 and 1" },
        { FD_BETA_LINEAR, 3, 0, .2, "between 0 and 1" },
        { FD_BETA_LINEAR, 3, .1, 1, "between 0 and 1" },
        { FD_BETA_LINEAR, 3, .1, 0, "between 0 and 1" } };
    static const struct { double tmin, tmax; } spans[] = { { -1, 1 }, { 2, 1 }, { 0, INFINITY } };
    const char *const span = "needs 0 <= tmin < tmax";
    double beta[4] = { 7 }, t[4] = { 7 };
    fd_real x[4] = { 7 };
    for (int i = 0; i < 7; i++)
        SAYS(fd_beta_schedule(betas[i].rule, betas[i].T, betas[i].b1, betas[i].bT, beta, a.st),
             FD_EARG, betas[i].text);
    SAYS(fd_times(&w->p, FD_UNIFORM - 1, 0, 3, t, a.st), FD_EARG, "no such rule");
    for (int i = 0; i < 3; i++) {
        fd_process odd = w->p;
        odd.tmin = spans[i].tmin, odd.tmax = spans[i].tmax;
        SAYS(fd_times(&odd, FD_UNIFORM, 0, 3, t, a.st), FD_EARG, span);
        SAYS(fd_draw_times(&odd, FD_T_UNIFORM, NULL, fd_seed(1), 0, 1, t, a.st), FD_EARG, span);
    }
    SAYS(fd_draw_times(&w->p, FD_T_LEVELS + 1, NULL, fd_seed(1), 0, 1, t, a.st), FD_EARG,
         "no such law of times");
    SAYS(OK(!fd_time_weight(&w->p, FD_W_ONE - 1, FD_X0, .3, a.st), "weight"), FD_EARG,
         "no such rule");
    SAYS(fd_loss_weigh(&w->p, FD_NORM_H - 1, 0, FD_X0, 1, t, x, a), FD_EARG, "no such norm");
    SAYS(fd_fdp_noise(&a, &w->s, 1, -1), FD_EARG, "needs energy > 0 and ref >= 0");
    OK(x[0] == 7 && t[0] == 7 && beta[0] == 7, "nothing written");
}

static void wrong_models(const proper *w, fd_arena a)
{
    const fd_space pair = fd_grid(&a, 1, (int[]){ 4 }, NULL, (int[]){ FD_NEUMANN }, 2);
    const fd_cov *two = fd_cov_exp(&a, &pair, 1, .3), *some[2] = { w->c, NULL };
    fd_real x[4] = { 7 };
    for (int i = 0; i < 2; i++) {
        const double t = i ? 1.1 : .5, r = i ? .1 : -.1;
        SAYS(fd_average_velocity(&w->p, NULL, w->c, 1, &t, &r, x, x, a), FD_EARG,
             "times must be 0 <= r < t <= tmax");
    }
    SAYS(fd_oracle_kernel(&a, &w->p, NULL, two), FD_ESHAPE, "different points");
    SAYS(fd_oracle_mix(&a, &w->p, 2, NULL, NULL, some), FD_ESHAPE, "different modes; component: 1");
    some[1] = w->c;
    SAYS(fd_oracle_mix(&a, &w->p, 2, (double[]){ 1, INFINITY }, NULL, some), FD_EDATA,
         "a weight is negative or not finite: 1");
    OK(!fd_path(w->c, NULL, NULL, NULL, NULL).law, "a path of nothing");
    const fd_sde e = { .f = NULL };
    SAYS(fd_sde_step(&e, FD_SDE_EULER - 1, 0, 1, 1, x, x, a), FD_EARG, "no such scheme");
    SAYS(fd_sde_step(&e, FD_SDE_EULER, 0, 0, 1, x, x, a), FD_EARG, "h <= 0");
    for (int i = 0; i < 5; i++) {
        fd_model v = w->m, eps = w->m;
        v.predicts = i == 2 ? FD_NOISE : FD_VELOCITY, eps.predicts = i == 4 ? FD_X0 : FD_NOISE;
        if (i == 1) v.eval = NULL;
        if (i == 3) eps.eval = NULL;
        SAYS(fd_interpolant_step(&w->way, &v, &eps, i ? .1 : NAN, .5, .6, 1, x, NULL, a), FD_EARG,
             "needs a model of the velocity");
    }
    OK(x[0] == 7, "nothing written");
}

/* samplers, densities and ensembles */
static void wrong_samplers(const proper *w, fd_arena a)
{
    const double steep[] = { INFINITY, .5, .1 };
    double t[4] = { 7 }, alpha[4] = { 7 };
    fd_real x[4] = { 7 };
    fd_sampler bad = w->how;
    bad.corrector = FD_CORRECT_NONE - 1;
    SAYS(fd_begin(&a, &bad, fd_seed(1), 0, 1), FD_EARG, "no such corrector");
    bad = w->how, bad.start = FD_START_NOISE - 1;
    SAYS(fd_begin(&a, &bad, fd_seed(1), 0, 1), FD_EARG, "no such start");
    bad = w->how, bad.t = steep;
    SAYS(fd_begin(&a, &bad, fd_seed(1), 0, 1), FD_EARG, "times must fall; step: 0");
    bad = w->how, bad.scheme = FD_PF_HEUN;
    SAYS(fd_loglik(&bad, -1, fd_seed(1), 0, 1, x, t, a), FD_EARG, "probes of 0 or above");
    SAYS(fd_elbo(&bad, -1, fd_seed(1), 0, 1, x, t, NULL, a), FD_EARG, "pairs of 0 or above");
    bad.scheme = FD_PF_RK4 + 1;
    SAYS(fd_loglik(&bad, 0, fd_seed(1), 0, 1, x, t, a), FD_EARG, "needs steps of pf-heun");
    bad.scheme = FD_PF_HEUN, bad.model.predicts = FD_VELOCITY + 1;
    SAYS(fd_loglik(&bad, 1, fd_seed(1), 0, 1, x, t, a), FD_EARG, "model");
    fd_obs o = fd_obs_pick(&a, &w->s, 1, (ptrdiff_t[]){ 1 });
    SAYS(fd_esmda(&o, alpha, 1, fd_seed(1), 2, x, a), FD_EARG, "and noise");
    fd_obs_noise(&a, &o, .1);
    SAYS(fd_esmda(&o, alpha, 0, fd_seed(1), 2, x, a), FD_EARG, "alpha > 0");
    OK(x[0] == 7 && t[0] == 7, "nothing written");
}

/* what is not there: nothing happens, and no word of it */
static void of_nothing(const proper *w, fd_arena a)
{
    const fd_space none = { .nd = 0 };
    const fd_sampler *const how = &w->how;
    const fd_interpolant *const way = &w->way;
    double t[4] = { 7 }, cin = 1, cout = 1;
    fd_real x[4] = { 7 };
    fd_process unknown = w->p;
    unknown.noise = NULL;
    OK(fd_amortised_inputs(&(fd_condition){ .p = NULL }) == 0, "inputs of no process");
    fd_split_gibbs(how, NULL, t, 1, fd_seed(1), 0, 1, x, a);
    fd_precond_pair(NULL, 1, x, x, t, x, x, a);
    fd_precond_scale(NULL, .5, &cin, &cout);
    OK(cin == 0 && cout == 0 && !fd_precond_model(&a, NULL, w->m).eval, "no preconditioner");
    fd_langevin(&unknown, &w->m, NULL, .5, .1, 1, 1, x, x, a);
    fd_advance(how, .5, .4, 1, NULL, NULL, NULL, a), fd_correct(how, .5, 1, NULL, NULL, NULL, a);
    fd_correct(how, .5, 1, x, NULL, NULL, a);                        /* without a corrector */
    fd_start_law(how, t, NULL, a), fd_exact_law(how, t, NULL, a);
    fd_interpolant_target(way, FD_VELOCITY, 0, x, x, x, t, x, a);
    OK(!fd_fdp_noise(&a, &none, 1, 0) && !fd_time_law_new(&a, &w->p, NULL, FD_NORM_H, 0, FD_X0)
       && !fd_fdp(&a, NULL, .1, 20, NULL).law && !fd_oracle_kernel(&a, &w->p, NULL, NULL).eval
       && !fd_oracle_interpolant(&a, way, FD_VELOCITY, NULL, NULL, NULL, w->c).eval
       && !fd_oracle_interpolant(&a, way, FD_VELOCITY, NULL, w->c, NULL, NULL).eval, "of nothing");
    OK(!a.st->code && x[0] == 7 && t[0] == 7, "nothing written: %s", explain(a.st));
}

/* modes and times that are not there, and a chain before its beginning */
static void outside_the_law(const proper *w, fd_arena a)
{
    const fd_process heat = fd_heat(w->c, 1, .02, NULL, NULL, 2);
    const fd_process chain = ddpm(&a, w->c, 10, 1e-3, .3);
    fd_process bare = w->p;
    bare.law = NULL;
    OK(isnan(fd_time_at(&bare, 1)) && isnan(fd_time_at(&w->p, 0)), "no time");
    const fd_coef far = fd_law(&heat, .5, 4), before = fd_law(&heat, .5, -1);
    const fd_coef empty = fd_law(&bare, .5, 0);
    OK(!far.m && !far.v && !before.m && !before.v && !empty.m && !empty.v, "no such mode");
    OK(fd_law(&chain, -1, 0).m == fd_law(&chain, 0, 0).m && fd_law(&chain, 0, 0).m == 1,
       "before 0");
}

static void check_arguments(void)
{
    proper w;
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    proper_new(&w, &a);
    wrong_schedules(&w, a);
    wrong_models(&w, a);
    wrong_samplers(&w, a);
    of_nothing(&w, a);
    outside_the_law(&w, a);
    test_free();
}

/* a model that is no number any more after some evaluations */
typedef struct { fd_model m; int *left; } tiring;
static void tiring_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                        const double *t, fd_real *y, fd_arena scratch)
{
    const tiring *o = self;
    o->m.eval(o->m.self, s, b, x, t, y, scratch);
    if (--*o->left < 0) y[0] = NAN;
}

/* Steps of their own size say where they lost the state, at the first step or at a later one, and
 * leave it as it was. */
static void check_adaptive_lost(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *c = single(&a, .7);
    const fd_process p = fd_vp(c, .1, 20);
    int left = 0, said = 0;
    const tiring o = { fd_oracle_gauss(&a, &p, NULL, c), &left };
    fd_sampler how = { .p = &p, .model = { .predicts = o.m.predicts, .eval = tiring_eval,
                       .self = &o }, .scheme = FD_PF_ADAPTIVE };
    for (int evals = 0; evals < 40; evals++) {
        fd_real x = (fd_real).4;
        left = evals;
        fd_advance(&how, 1, .1, 1, &x, NULL, NULL, a);
        OK(st.code ? st.code == FD_ENAN && x == (fd_real).4 : x != (fd_real).4 && left >= 0,
           "%d evaluations: %s", evals, explain(&st));
        said += st.code != 0;
        st.code = FD_OK;
    }
    OK(said > 8, "%d times lost", said);
    test_free();
}

/* a model D = factor * x */
static void steep_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena scratch)
{
    (void)t, (void)scratch;
    for (ptrdiff_t i = 0; i < b * fd_size(s); i++)
        y[i] = (fd_real)(*(const double *)self * (double)x[i]);
}

/* The law of a step that multiplies by thousands is what its row says; one beyond all numbers is
 * said to be none. */
static void check_steep_law(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *c = single(&a, .7);
    const fd_process p = fd_vp(c, .1, 20);
    const double t[] = { .5, .4 };
    for (int i = 0; i < 2; i++) {
        const double factor = i ? TOL(1e200, 1e30) : 1e5;
        const fd_sampler how = { .p = &p, .model = { .predicts = FD_X0, .eval = steep_eval,
                                 .self = &factor }, .t = t, .steps = 1, .scheme = FD_DDIM };
        const fd_row r = fd_step_row(&p, FD_DDIM, 0, t[0], t[1], 0, &st);
        double mean = i ? TOL(1e200, 1e20) : .3, var = .2;
        fd_exact_law(&how, &mean, &var, a);
        if (i) { OK(st.code == FD_ENAN, "not finite: %s", explain(&st)); continue; }
        const double all = r.ax + r.aD * factor;
        NEAR(var / (all * all * .2), 1, TOL(1e-9, 1e-3), "variance, factor %g", all);
        NEAR(mean / (all * .3), 1, TOL(1e-9, 1e-3), "mean");
        OK(!st.code && fabs(all) > 1000, "%s", explain(&st));
    }
    test_free();
}

/* What neither density takes, it takes for the same reason. */
static void check_density_refused(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_cov *noise = single(&a, .7);
    fd_process p = fd_vp(noise, .1, 20), chain = ddpm(&a, noise, 10, 1e-3, .3);
    static const double ends[] = { 1, .5, 0 }, rises[] = { 1, .2, .5 }, none[] = { 1, .5, NAN },
        last[] = { 3, 1, 0 };
    const struct { const fd_process *p; const double *t; int steps, b; const char *want; } row[] = {
        { &p, ends, 2, 1, "v = 0 at the last time: there is no density to speak of" },
        { &chain, last, 2, 1, "v = 0 at the last time: there is no density to speak of" },
        { &p, rises, 2, 1, "times must fall; step" }, { &p, none, 2, 1, "times must fall; step" },
        { &p, ends, 0, 1, "needs steps and times" }, { &p, NULL, 2, 1, "needs steps and times" },
        { &p, ends, 1, 0, "needs functions, and" } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (int f = 0; f < 4; f++) {
            fd_sampler how = { .p = row[i].p, .t = row[i].t, .steps = row[i].steps,
                               .scheme = f == 1 ? FD_PF_ADAPTIVE : FD_PF_HEUN };
            fd_real x = 1;
            double out = -7;
            st.code = 0;
            how.model = fd_oracle_gauss(&a, row[i].p, NULL, noise);
            if (f < 2) fd_loglik(&how, 0, fd_seed(1), 0, row[i].b, &x, &out, a);
            else fd_elbo(&how, f - 2, fd_seed(1), 0, row[i].b, &x, &out, NULL, a);
            OK(st.code == FD_EARG && out == -7
               && !strncmp(st.what, row[i].want, strlen(row[i].want))
               && !strcmp(st.where, f < 2 ? "fd_loglik" : "fd_elbo"), "row %d, function %d: %s: %s",
               (int)i, f, st.code ? st.where : "", st.code ? st.what : "");
        }
}

/* At the mean the state does not move, and the density alone decides the steps. */
static void check_adaptive_density(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    double lam = .7, c = .01, t[2] = { 1, .01 }, logp[2], tol = TOL(1e-9, 1e-5);
    fd_real mean = (fd_real)1.3;
    fd_cov *noise = single(&a, lam), *c0 = single_on(&a, noise, c);
    fd_process p = fd_vp(noise, .1, 20);
    fd_coef E = fd_law(&p, t[1], 0);
    int evals = 0;
    fd_sampler how = { .p = &p, .t = t, .steps = 1, .scheme = FD_PF_ADAPTIVE,
                       .start = FD_START_MATCHED,
                       .mean = &mean, .cov = c0, .rtol = tol, .atol = tol, .evals = &evals };
    how.model = fd_oracle_gauss(&a, &p, &mean, c0);
    for (int pooled = 0; pooled < 2; pooled++) {
        fd_real x[2] = { (fd_real)(E.m * 1.3), (fd_real)(E.m * 1.3) };
        how.pooled = pooled;
        fd_loglik(&how, 0, fd_seed(1), 0, 2, x, logp, a);
        for (int i = 0; i < 2; i++)
            NEAR(logp[i], -.5 * log(2 * PI * (E.m * E.m * c + E.v * lam)), 20 * tol,
                 "density at the mean, pooled %d", pooled);
    }
    OK(!st.code && evals > 40, "status, and %d evaluations", evals);
}

static int laws_run(fd_arena a, int k, double *out)
{
    double t[4], w[2], lp[2];
    fd_space s = fd_grid(&a, 1, (int[]){ 6 }, NULL, NULL, 1);
    fd_cov *noise = fd_fdp_noise(&a, &s, 1, 64), *data = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_process p = k == 0 ? fd_fdp(&a, noise, .1, 5, NULL) : fd_heat_cosine(noise, 1, .01);
    fd_real x[12] = { 0 };
    fd_sampler how = { .p = &p, .t = t, .steps = 3, .start = FD_START_MATCHED, .cov = data,
                       .inner = 2, .cprm = .1,
                       .scheme = k == 0 ? FD_PF_MULTISTEP : k == 1 ? FD_PF_ADAPTIVE : FD_ANCESTRAL,
                       .corrector = k == 0 ? FD_CORRECT_SNR : FD_CORRECT_SCALED, .band = 2,
                       .churn = k == 2 ? .5 : 0 };
    how.model = fd_oracle_gauss(&a, &p, NULL, data);
    if (!p.law) return a.st->code;
    p.tmin = .05;
    fd_times(&p, FD_UNIFORM, 0, 3, t, a.st);
    fd_sample(&how, fd_seed(131), 0, 2, x, a);
    how.scheme = FD_PF_RK4;
    fd_time_law *law = fd_time_law_new(&a, &p, data, FD_NORM_SOBOLEV, 1, FD_X0);
    fd_time_draw(law, fd_seed(1), 0, 2, w, lp);
    fd_loss_weigh(&p, FD_NORM_CM, 0, FD_X0, 2, w, x, a);
    fd_loss_norm(&a, &p, FD_NORM_SOBOLEV, 1, FD_X0, .3);
    fd_convert(&p, FD_X0, FD_SCORE, 2, x, w, x, a);
    fd_convert(&p, FD_SCORE_HALF, FD_SCORE, 2, x, w, x, a);
    fd_loglik(&how, k, fd_seed(1), 0, 2, x, lp, a);
    fd_elbo(&how, k, fd_seed(1), 0, 2, x, w, NULL, a);
    fd_gap g = fd_terminal(&p, NULL, data, a);
    fd_gauss_logp(data, NULL, x, a);
    out[0] = x[0], out[1] = w[0], out[2] = lp[1], out[3] = g.kl;
    return a.st->code;
}

static void check_starved(void)
{
    fd_status st;
    enum { TOP = 128 << 10 };
    char *mem = malloc(TOP);
    for (int k = 0; k < 3 && mem; k++) {
        double want[4], got[4] = { 0 };
        int failed = 0, size;
        const int first = laws_run(fd_arena_over(mem, TOP, &st), k, want);
        OK(!first, "case %d: %s", k, first ? st.what : "");
        for (size = 0; size < TOP; size += 64) {
            int code = laws_run(fd_arena_over(mem, (size_t)size, &st), k, got);
            if (code == FD_OK) break;
            failed += code != FD_ENOMEM;
        }
        OK(failed == 0, "case %d: other codes than FD_ENOMEM %d times", k, failed);
        OK(size > 0 && !st.code && !memcmp(want, got, sizeof got),
           "case %d: the answer with %d bytes", k, size);
    }
    free(mem);
}

void test_density(void)
{
    check_loglik();
    check_elbo();
    check_wrong();
    check_pencil();
    check_kernel();
    check_density_refused();
    check_arguments();
    check_adaptive_lost();
    check_steep_law();
    check_adaptive_density();
    check_starved();
}

void test_interpolants(void)
{
    check_ends();
    check_interpolant();
    check_interpolant_mix();
}
