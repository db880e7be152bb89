/* test_amortised.c -- networks that are told of observations: channels, pairs and models against
 * dense algebra, the loss against its floor, samples against the unknowns that they are about. */
#include "test.h"

enum { MOST = 48 };                                    /* of unknowns, and of numbers observed */

/* Matern 3/2 of this length */
static double kernel_at(const double *x, const double *y, const void *prm)
{
    double r = sqrt(3) * fabs(x[0] - y[0]) / *(const double *)prm;
    return (1 + r) * exp(-r);
}
static const double long3 = .3, long15 = .15;

static fd_space cells(fd_arena *a, int n)
{
    return fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
}

/* u ~ N(mean, K) given y = B u + N(0, G), B [m][n], G [m][m]: mean and K of u | y, one number of y
 * after the other once G is made diagonal by its Cholesky factor */
static void given(int n, int m, const double *B, const double *G, const double *y, double *mean,
                  double *K)
{
    static double L[MOST * MOST], R[MOST * MOST], h[MOST], z[MOST];
    int noisy = 0;
    fd_status st = { 0 };
    for (int i = 0; i < m * m; i++) L[i] = G[i], noisy |= G[i] != 0;
    if (noisy) fd_cholesky(&st, m, L);
    OK(!st.code, "the noise of a dense problem");
    memcpy(z, y, (size_t)m * sizeof *z);
    if (noisy) fd_solve_lower(m, L, 0, z);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) h[i] = B[i * n + j];
        if (noisy) fd_solve_lower(m, L, 0, h);
        for (int i = 0; i < m; i++) R[i * n + j] = h[i];
    }
    for (int i = 0; i < m; i++) {
        double s = noisy, r = z[i];
        for (int j = 0; j < n; j++) {
            h[j] = 0, r -= R[i * n + j] * mean[j];
            for (int k = 0; k < n; k++) h[j] += K[j * n + k] * R[i * n + k];
        }
        for (int j = 0; j < n; j++) s += h[j] * R[i * n + j];
        for (int j = 0; j < n; j++) {
            mean[j] += h[j] * r / s;
            for (int k = 0; k < n; k++) K[j * n + k] -= h[j] * h[k] / s;
        }
    }
}

static double trace_of(int n, const double *K)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += K[i * (n + 1)];
    return sum;
}

/* --- O3 of C 7: the ancestral step beside the exact transition; the floor of C 2.1 --- */

/* one step of an affine sampler, z the coefficients of xi over sqrt(lam) */
typedef struct { fd_sampler how; double t, s; int n; } steps;
static void step_of(void *self, int b, double *x, const double *z, fd_arena a)
{
    const steps *c = self;
    const fd_cov *C = c->how.p->noise;
    const int n = c->n;
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n);
    fd_real *d = fd_raw(&a, fd_real, b * n);
    if (!d) return;
    for (int i = 0; i < b * n; i++)
        u[i] = (fd_real)x[i], xi[i] = (fd_real)(sqrt(C->lam[i % n]) * z[i]);
    fd_from_modes(&C->s, b, xi, xi, a);
    fd_advance(&c->how, c->t, c->s, b, u, xi, d, a);
    for (int i = 0; i < b * n; i++) x[i] = (double)u[i];
}

/* The set-up of C 2.1 and O3 (K): 16 cells, values in cells 4 and 12 with variance .05. */
enum { N = 16, M = 2 };
static const ptrdiff_t at[M] = { 4, 12 };
typedef struct {
    fd_space s;
    fd_cov *c0, *C;
    fd_process p;
    fd_obs o;
    double K0[N * N], KC[N * N];
} setup;

static void setup_new(setup *q, fd_arena *a)
{
    q->s = cells(a, N);
    q->c0 = fd_cov_kernel(a, &q->s, kernel_at, &long3);
    q->C = fd_cov_kernel(a, &q->s, kernel_at, &long15);
    q->p = fd_ou(q->C, 8);
    q->o = fd_obs_pick(a, &q->s, M, at);
    fd_obs_noise(a, &q->o, sqrt(.05));
    for (int i = 0; i < N * N; i++) {
        double x = (i / N + .5) / N, y = (i % N + .5) / N;
        q->K0[i] = kernel_at(&x, &y, &long3), q->KC[i] = kernel_at(&x, &y, &long15);
    }
}

static void transitions(void)
{
    static setup q;
    fd_status st;
    fd_arena a = test_arena(1 << 25, &st);
    setup_new(&q, &a);
    const double t = .4, s = .2, y[M] = { 1.2, -.7 };
    const fd_coef T = fd_law(&q.p, t, 0), S = fd_law(&q.p, s, 0);
    /* unknown (x0, xi): x_s = m_s x0 + sqrt(v_s) xi; seen are y and x_t = k x_s + N(0, v(t|s) C) */
    enum { U = 2 * N, R = M + N };
    static double K[U * U], B[R * U], G[R * R], z[R], mean[U], Ks[N * N], ms[N], x[N];
    double k = T.m / S.m, v = T.v - k * k * S.v, sq = sqrt(S.v);
    fd_real lots[N];
    fd_normal(fd_seed(2), N, lots);
    for (int i = 0; i < N; i++) {
        x[i] = (double)lots[i], z[M + i] = x[i];
        B[(M + i) * U + i] = k * S.m, B[(M + i) * U + N + i] = k * sq;
        for (int j = 0; j < N; j++) {
            K[i * U + j] = q.K0[i * N + j], K[(N + i) * U + N + j] = q.KC[i * N + j];
            G[(M + i) * R + M + j] = v * q.KC[i * N + j];
        }
    }
    for (int i = 0; i < M; i++) B[i * U + at[i]] = 1, G[i * (R + 1)] = .05, z[i] = y[i];
    given(U, R, B, G, z, mean, K);
    for (int i = 0; i < N; i++) {
        ms[i] = S.m * mean[i] + sq * mean[N + i];
        for (int j = 0; j < N; j++)
            Ks[i * N + j] = S.m * S.m * K[i * U + j] + S.v * K[(N + i) * U + N + j]
                          + S.m * sq * (K[i * U + N + j] + K[(N + i) * U + j]);
    }
    NEAR(trace_of(N, Ks) / N, .138219, 1e-6, "O3: the exact transition");
    double floor = 0;
    for (int i = 0; i < N; i++) floor += K[i * (U + 1)] / N;
    NEAR(floor, .15575288, 1e-8, "C 2.1: the floor");
    fd_guide how = { .p = &q.p, .o = &q.o, .y = y, .rule = FD_GUIDE_EXACT,
                     .model = fd_oracle_kernel(&a, &q.p, NULL, q.c0) };
    static const struct { int scheme; double trace; } rows[] = {
        { FD_ANCESTRAL, .099668 }, { FD_ANCESTRAL_LARGE, .181269 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static double to[N], cov[N * N];
        steps c = { { .p = &q.p, .model = fd_guided(&a, &how), .t = (double[]){ t, s }, .steps = 1,
                      .scheme = rows[i].scheme }, t, s, N };
        memcpy(to, x, sizeof to);
        memset(cov, 0, sizeof cov);
        fd_affine_step *const step = step_of;
        fd_affine_law(step, &c, N, N, to, cov, a);
        OK(!st.code, "O3: %s", st.code ? st.what : "");
        NEAR(trace_of(N, cov) / N, rows[i].trace, TOL(1e-6, 2e-5), "O3: spread of scheme %d",
             rows[i].scheme);
        for (int j = 0; j < N; j++)
            NEAR(to[j], ms[j], TOL(1e-10, 1e-4), "O3: mean of scheme %d, cell %d", rows[i].scheme,
                 j);
    }
}

/* --- in modes, for data with the modes of the noise: any process, any linear observation --- */

/* mean and covariance of the coefficients of x0 given y, and where xt is not NULL x_t */
static void in_modes(const fd_cov *c0, const fd_real *m0, const fd_process *p, double t,
                     const fd_obs *o, const double *y, const fd_real *xt, double *mean, double *K,
                     fd_arena a)
{
    static double B[MOST * MOST], G[MOST * MOST], z[MOST];
    const fd_space *s = &c0->s;
    const int n = (int)s->modes, m = o ? o->m : 0;
    fd_real *e = fd_new(&a, fd_real, n), *u = fd_new(&a, fd_real, n);
    double *col = fd_new(&a, double, m + 1);
    memset(K, 0, (size_t)(n * n) * sizeof *K), memset(G, 0, sizeof G);
    if (m0) fd_to_modes(s, 1, m0, u, a);
    for (int j = 0; j < n; j++) {
        memset(e, 0, (size_t)n * sizeof *e), e[j] = 1;
        fd_from_modes(s, 1, e, e, a);
        if (o) o->apply(o->self, s, 1, e, col, a);
        for (int i = 0; i < m; i++) B[i * n + j] = col[i];
        K[j * (n + 1)] = c0->lam[j], mean[j] = (double)u[j];
    }
    for (int i = 0; i < m; i++) {
        z[i] = y ? y[i] : 0;
        G[i * (m + 1)] = o->each ? o->each[i] * o->each[i] : o->sd * o->sd;
    }
    given(n, m, B, G, z, mean, K);
    if (!xt) return;
    fd_to_modes(s, 1, xt, u, a);
    memset(B, 0, sizeof B), memset(G, 0, sizeof G);
    for (int k = 0; k < n; k++) {
        fd_coef f = fd_law(p, t, k);
        z[k] = (double)u[k], B[k * (n + 1)] = f.m, G[k * (n + 1)] = f.v * p->noise->lam[k];
    }
    given(n, n, B, G, z, mean, K);
}

/* raw models: nothing; and something that mixes all that is seen */
static void raw_zero(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y, fd_arena a)
{
    (void)self, (void)x, (void)t, (void)a;
    memset(y, 0, (size_t)(b * s->points) * sizeof *y);
}

static void raw_some(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y, fd_arena a)
{
    const ptrdiff_t n = s->points;
    const int out = *(const int *)self;
    (void)a;
    for (int i = 0; i < b; i++)
        for (ptrdiff_t j = 0; j < out * n; j++) {
            double sum = 0;
            for (int c = 0; c < s->ch; c++)
                sum += sin(2.385 * c + 1) * (double)x[(i * s->ch + c) * n + (j + c) % n];
            y[i * out * n + j] = (fd_real)(sum * (1 + t[i]));
        }
}
static const fd_model zero = { FD_X0, raw_zero, NULL, NULL, NULL, NULL };

/* E |C S^-1/2 xi|^2 by dense algebra, S = m C_y m + v lam: the power of the score given y. */
static double power_of(const fd_cov *c, const fd_real *m0, const fd_process *P, double t,
                       const fd_obs *O, const double *y, fd_arena a)
{
    enum { n = 12 };
    static double mean[n], K[n * n], S[n * n], L[n * n];
    const fd_cov *C = P->noise;
    double power = 0;
    in_modes(c, m0, P, t, O, y, NULL, mean, K, a);
    for (int j = 0; j < n * n; j++) {
        fd_coef f = fd_law(P, t, j / n), g = fd_law(P, t, j % n);
        S[j] = f.m * K[j] * g.m + (j / n == j % n ? f.v * C->lam[j / n] : 0);
    }
    memcpy(L, S, sizeof L);
    fd_cholesky(a.st, n, L);
    for (int k = 0; k < n; k++) {
        double z[n] = { 0 };
        z[k] = C->lam[k];
        fd_solve_lower(n, L, 0, z);
        for (int j = 0; j < n; j++) power += z[j] * z[j];
    }
    return power;
}

/* D, var, cout and the power of the score against dense algebra */
static void conditional(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    enum { n = 12 };
    fd_space s = cells(&a, n);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, 1.3, .3, 1.5);
    static const double where[3] = { .21, .5, .77 }, y[n] = { 1.2, -.3, .4 };
    static const double sd[3] = { .2, .3, .1 };
    fd_process p[] = { fd_ou(C, 6), fd_flow(C, 0), fd_heat(C, 1, .02, NULL, NULL, 2) };
    fd_cov *same = fd_cov_table(&a, &s, C->lam);
    for (int k = 0; k < n; k++) same->lam[k] *= 2.385;
    double mul[n];
    fd_laplace(&s, mul, a);
    for (int k = 0; k < n; k++) mul[k] = exp(-.01 * mul[k]);
    fd_obs o[3] = { fd_obs_points(&a, &s, 3, where, NULL), fd_obs_points(&a, &s, 3, where, NULL),
                    fd_obs_modal(&a, &s, mul) };
    fd_obs_noise_each(&a, &o[1], sd), fd_obs_noise(&a, &o[2], .3);
    fd_real m0[n], x[n], D[n], E[n], var[n];
    for (int i = 0; i < n; i++) m0[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / n);
    fd_cov_draw(c0, fd_seed(1), 0, 1, x, a);
    for (int i = 0; i < 3 * 3 * 2 * 2; i++) {
        fd_arena b = a;
        const fd_process *P = &p[i / 12];
        const fd_obs *O = &o[i % 3];
        const fd_cov *c = i / 3 % 2 ? same : c0;
        const double t = i / 6 % 2 ? .7 : .05;
        static double mean[n], K[n * n];
        in_modes(c, m0, P, t, O, y, x, mean, K, b);
        fd_condition how = { .p = P, .base = FD_BASE_GAUSS, .mean = m0, .c0 = c };
        fd_amortised *w = fd_amortised_new(&b, &how, O);
        fd_model m = fd_amortised_model(&b, w, y, zero);
        fd_model post = fd_oracle_posterior(&b, P, 1, NULL, m0, &c, O, y);
        OK(m.eval && post.var && !st.code, "row %d: %s", i, st.code ? st.what : "");
        if (st.code) return;
        double cin, cout;
        fd_amortised_scale(w, t, &cin, &cout, b);
        NEAR(cout * cout, trace_of(n, K), TOL(1e-11, 2e-4) * (1e-3 + trace_of(n, K)),
             "row %d: cout", i);
        post.var(post.self, &s, 1, x, &t, var, b);
        m.eval(m.self, &s, 1, x, &t, D, b);
        post.eval(post.self, &s, 1, x, &t, E, b);
        fd_to_modes(&s, 1, D, D, b), fd_to_modes(&s, 1, E, E, b);
        for (int k = 0; k < n; k++) {
            NEAR((double)D[k], mean[k], TOL(1e-9, 2e-4), "row %d: zero network, mode %d", i, k);
            NEAR((double)E[k], mean[k], TOL(1e-9, 2e-4), "row %d: exact denoiser, mode %d", i, k);
            NEAR((double)var[k], K[k * (n + 1)],
                 TOL(1e-11, 2e-4) * K[k * (n + 1)] + TOL(1e-13, 1e-6),
                 "row %d: variance, mode %d", i, k);
        }
        const double power = power_of(c, m0, P, t, O, y, b);
        NEAR(fd_score_power(P, c, O, t, b), power, TOL(1e-9, 1e-3) * power,
             "row %d: power of the score", i);
        OK(!st.code, "row %d: %s", i, st.code ? st.what : "");
    }
    OK(isnan(fd_score_power(&p[1], c0, &o[1], 0, a)) && st.code == FD_EARG, "no score where v = 0");
    st.code = 0;
    fd_space half = cells(&a, 6);
    fd_cov *coarse = fd_cov_matern(&a, &half, 1, .2, 1.5);
    OK(isnan(fd_score_power(&p[0], coarse, NULL, .1, a)) && st.code == FD_ESHAPE, "other modes");
}

/* C 2.2 as K has it, and O9 */
static void singular(void)
{
    static const struct { double s, r, slope, tail; } rows[] = {      /* beyond n: tail/v */
        { 1, 1.2, 0, 0 }, { 1, 2, -.503, 0 }, { 1, 3, -.750, 0 }, { .75, 1.5, -.6671, 2 },
        { 1, 1.6, -.214, 0 } };
    enum { n = 1 << 18 };
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fd_arena b = a;
        fd_space s = cells(&b, n);
        double *lam = fd_new(&b, double, n), *c = fd_new(&b, double, n);
        for (int k = 1; k < n && c; k++)
            lam[k] = pow(k, -2 * rows[i].s), c[k] = pow(k, -2 * rows[i].r);
        fd_cov *C = fd_cov_table(&b, &s, lam), *c0 = fd_cov_table(&b, &s, c);
        fd_process p = fd_ou(C, 8);
        double e[2];
        for (int j = 0; j < 2; j++) {
            double t = j ? 1e-4 : 1e-3;
            e[j] = fd_score_power(&p, c0, NULL, t, b) + rows[i].tail / sqrt(n - .5) / -expm1(-t);
        }
        OK(!st.code, "singularity: %s", st.code ? st.what : "");
        NEAR(log10(e[0] / e[1]), rows[i].slope, 6e-4, "slope for s = %g, r = %g", rows[i].s,
             rows[i].r);
    }
    fd_space s = cells(&a, 32);
    fd_cov *c = fd_cov_kernel(&a, &s, kernel_at, &long3);
    fd_process p = fd_ou(c, 8);
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 8, 22 });
    NEAR(fd_score_power(&p, c, NULL, .01, a), 1, TOL(1e-12, 1e-5), "O9: without observations");
    NEAR(fd_score_power(&p, c, &o, .01, a), 72.63580508567, TOL(1e-9, 2e-3), "O9: without noise");
    double slope = log10(fd_score_power(&p, c, &o, 1e-3, a) / fd_score_power(&p, c, &o, 1e-4, a));
    NEAR(slope, -1, 2e-3, "slope without noise");
    fd_obs_noise(&a, &o, .3);
    double limit = 1;                                        /* tr C + tr C A* Gamma^-1 A C */
    fd_real e[32];
    for (int i = 0; i < 2; i++) {
        double w[2] = { i == 0, i == 1 };
        fd_obs_adjoint(&o, 1, NULL, w, e, a);
        fd_cov_pow(c, 1, 1, e, e, a);
        limit += fd_inner(&s, e, e) / .09;
    }
    NEAR(fd_score_power(&p, c, &o, 1e-9, a), limit, TOL(1e-6, 1e-3) * limit, "limit with noise");
    OK(!st.code, "singularity: %s", st.code ? st.what : "");
}

/* --- what a network sees and should say --- */

/* Two channels, three numbers seen: PB draws of x0 and x_t, each with its own y. */
enum { PN = 9, PB = 3, PCH = 2, PSIZE = PCH * PN, PSEEN = 3 };
static const ptrdiff_t pair_at[PSEEN] = { 2, 6, PN + 4 };
static const double pair_y[PSEEN] = { 1.2, -.3, .4 }, pair_t[PB] = { .05, .7, .7 };
static const int pair_out = PCH;
static const fd_model pair_net = { FD_X0, raw_some, NULL, NULL, &pair_out, NULL };
typedef struct {
    fd_space s;
    fd_cov *C, *c0;
    fd_process p;
    fd_obs o;
    fd_model other;                                    /* of other data */
    double ys[PB * PSEEN];                             /* ys[PSEEN..] = pair_y */
    fd_real m0[PSIZE], x0[PB * PSIZE], xt[PB * PSIZE], eps[PB * PSIZE];
} paired;

static void paired_new(paired *w, fd_arena *a)
{
    w->s = fd_grid(a, 1, (int[]){ PN }, NULL, (int[]){ FD_NEUMANN }, PCH);
    w->C = fd_cov_matern(a, &w->s, 1, .2, 1.5), w->c0 = fd_cov_matern(a, &w->s, 1.3, .3, 1.5);
    w->p = fd_ou(w->C, 6);
    w->o = fd_obs_pick(a, &w->s, PSEEN, pair_at);
    fd_obs_noise(a, &w->o, .2);
    w->other = fd_oracle_gauss(a, &w->p, NULL, fd_cov_matern(a, &w->s, .7, .4, 1.5));
    for (int i = 0; i < PSIZE; i++) w->m0[i] = (fd_real)sin(i);
    for (int i = 0; i < PB * PSEEN; i++)
        w->ys[i] = pair_y[i % PSEEN] * (1 + .1 * (i / PSEEN - 1));
    fd_cov_draw(w->c0, fd_seed(1), 0, PB, w->x0, *a);
    fd_perturb(&w->p, fd_seed(2), 0, PB, w->x0, pair_t, w->xt, w->eps, *a);
}

static fd_condition paired_how(const paired *w, int base, int sees)
{
    return (fd_condition){ .p = &w->p, .base = base, .predicts = sees % 2 ? FD_V : FD_X0,
                           .sees = sees, .model = w->other, .mean = w->m0, .c0 = w->c0 };
}

/* a batch of one model gives the bits of one function at a time */
static void paired_batch(const paired *w, const fd_model *m, int base, int sees, fd_arena a)
{
    fd_real D[PB * PSIZE], one[PSIZE];
    m->eval(m->self, &w->s, PB, w->xt, pair_t, D, a);
    for (int i = 0; i < PB; i++) {
        m->eval(m->self, &w->s, 1, w->xt + i * PSIZE, pair_t + i, one, a);
        OK(!memcmp(one, D + i * PSIZE, sizeof one), "base %d sees %d: batch", base, sees);
    }
}

/* The pair and the model, which is told each function's y, agree whatever base and channels:
 * D - x0 = cout (F(in) - target), for a network F that mixes all that it sees. */
static void paired_row(const paired *w, int base, int sees, int seen, fd_arena a)
{
    const fd_condition how = paired_how(w, base, sees);
    const int K = fd_amortised_inputs(&how);
    fd_real D[PB * PSIZE], F[PB * PSIZE], in[PB * PSIZE * 7], y0[PB * PSIZE];
    double cout[PB];
    fd_space wide = w->s;
    wide.ch = K;
    OK(K == PCH * (1 + 2 * (sees & 1) + (sees & 2) + !!(sees & 4) + !!(sees & 8)), "inputs");
    fd_amortised *net = fd_amortised_new(&a, &how, seen ? &w->o : NULL);
    const fd_model m = fd_amortised_model(&a, net, seen ? pair_y : NULL, pair_net);
    fd_amortised_pair(net, PB, seen ? w->ys : NULL, w->x0, w->eps, w->xt, pair_t, in, y0, cout, a);
    raw_some(&pair_out, &wide, PB, in, pair_t, F, a);
    OK(!a.st->code && m.eval, "base %d sees %d: %s", base, sees, a.st->code ? a.st->what : "");
    if (a.st->code) return;
    for (int i = 0; i < PB; i++) {
        double cin, scale;
        fd_arena own = a;
        fd_model mi = fd_amortised_model(&own, net, seen ? w->ys + PSEEN * i : NULL, pair_net);
        mi.eval(mi.self, &w->s, 1, w->xt + i * PSIZE, pair_t + i, D + i * PSIZE, own);
        fd_amortised_scale(net, pair_t[i], &cin, &scale, own);
        NEAR(cout[i], scale, 0, "base %d sees %d: cout", base, sees);
    }
    for (int i = 0; i < PB * PSIZE && m.predicts == FD_X0; i++)
        NEAR((double)D[i] - (double)w->x0[i], cout[i / PSIZE] * ((double)F[i] - (double)y0[i]),
             TOL(1e-12, 1e-4), "base %d sees %d: pair and model", base, sees);
    OK(base != FD_BASE_NONE || !memcmp(D, F, sizeof F), "no base: the network itself");
    if (m.predicts == FD_V) {
        fd_target(&w->p, FD_V, PB, w->x0, w->eps, pair_t, F, a);
        OK(!memcmp(F, y0, sizeof F), "no base: the target");
    }
    paired_batch(w, &m, base, sees, a);
    for (int i = PSIZE; i < K * PN && !seen; i++) OK(in[i] == 0, "nothing observed");
    if (seen || base != FD_BASE_GAUSS) return;             /* then it is fd_precond */
    fd_precond *pre = fd_precond_new(&a, &w->p, w->m0, w->c0);
    fd_precond_pair(pre, PB, w->x0, w->xt, pair_t, D, F, a);
    OK(!memcmp(F, y0, sizeof F) && !memcmp(D, in, PSIZE * sizeof *D), "as fd_precond");
}

/* the channels of the second function of a batch, each against what it stands for */
static void paired_channels(const paired *w, fd_arena a)
{
    const fd_condition how = paired_how(w, FD_BASE_MODEL, 15);
    const fd_cov *const c0 = w->c0;
    const double sd0 = sqrt(fd_cov_trace(c0)), tol = TOL(1e-12, 2e-5);
    const fd_real *x = w->xt + PSIZE, *m0 = w->m0;
    fd_real in[PB * PSIZE * 7], y0[PB * PSIZE], D[PSIZE], base[PSIZE], sd[PSIZE], g[PSIZE];
    double cout[PB];
    fd_amortised *net = fd_amortised_new(&a, &how, &w->o);
    fd_amortised_pair(net, PB, w->ys, w->x0, NULL, w->xt, pair_t, in, y0, cout, a);
    fd_posterior *post = fd_posterior_new(&a, m0, c0, &w->o, pair_y);
    fd_model den = fd_oracle_posterior(&a, &w->p, 1, NULL, m0, (const fd_cov *[]){ c0 }, &w->o,
                                       pair_y);
    OK(!a.st->code, "channels: %s", a.st->code ? a.st->what : "");
    if (a.st->code) return;
    fd_posterior_std(post, sd, a);
    den.eval(den.self, &w->s, 1, x, pair_t + 1, D, a);
    how.model.eval(how.model.self, &w->s, 1, x, pair_t + 1, base, a);
    fd_obs_misfit(&w->o, pair_y, base, g, a);                /* of |y - F|^2/(2 sd^2) */
    fd_cov_pow(w->C, 1, 1, g, g, a);
    const fd_real *z = in + 7 * PSIZE;
    for (int i = 0; i < PSIZE; i++) {
        int k = i == 2 ? 0 : i == 6 ? 1 : i == PN + 4 ? 2 : -1;
        const double mean = (double)m0[i];
        NEAR((double)z[PSIZE + i], k < 0 ? 0 : (pair_y[k] - mean) / sd0, tol, "values");
        NEAR((double)z[2 * PSIZE + i], k >= 0, 0, "mask");
        NEAR((double)z[3 * PSIZE + i], ((double)post->mean[i] - mean) / sd0, tol, "E[x0|y]");
        NEAR((double)z[4 * PSIZE + i], (double)sd[i] / sd0, tol, "its deviation");
        NEAR((double)z[5 * PSIZE + i], ((double)D[i] - mean) / sd0, tol, "E[x0|x_t,y]");
        NEAR((double)z[6 * PSIZE + i], 2 * .04 / 3 * (double)g[i], tol, "slope");
    }
}

/* a point that is seen twice has the mean of both; one model that may be told nothing is guided
 * without a classifier */
static void paired_twice(const paired *w, fd_arena a)
{
    const fd_condition how = paired_how(w, FD_BASE_MODEL, FD_SEES_VALUES);
    const double sd0 = sqrt(fd_cov_trace(w->c0)), scale = 2.385;
    fd_obs twice = fd_obs_pick(&a, &w->s, PSEEN, (ptrdiff_t[]){ 2, 6, 2 });
    fd_amortised *net = fd_amortised_new(&a, &how, &twice);
    fd_amortised *none = fd_amortised_new(&a, &how, NULL);
    fd_real in[PB * PSIZE * 3], y0[PB * PSIZE], D[3][PSIZE];
    double cout[PB];
    fd_amortised_pair(net, PB, w->ys, w->x0, NULL, w->xt, pair_t, in, y0, cout, a);
    NEAR((double)in[PSIZE + 2], (.9 * (pair_y[0] + pair_y[2]) / 2 - (double)w->m0[2]) / sd0,
         TOL(1e-12, 1e-6), "twice");
    NEAR((double)in[2 * PSIZE + 2], 1, 0, "twice, mask");
    fd_model m[3] = { fd_amortised_model(&a, net, pair_y, pair_net),
                      fd_amortised_model(&a, none, NULL, pair_net) };
    m[2] = fd_free_guided(&a, &w->p, m[0], m[1], scale);
    for (int i = 0; i < 3; i++) m[i].eval(m[i].self, &w->s, 1, w->xt, pair_t, D[i], a);
    for (int i = 0; i < PSIZE; i++) {
        const double given = (double)D[0][i], free = (double)D[1][i];
        NEAR((double)D[2][i], free + scale * (given - free), TOL(1e-12, 1e-4), "free guidance");
    }
}

static void pairs(void)
{
    static paired w;
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    paired_new(&w, &a);
    for (int base = FD_BASE_NONE; base <= FD_BASE_GAUSS; base++)
        for (int sees = 0; sees < 16; sees++)
            for (int seen = 0; seen < 2; seen++) paired_row(&w, base, sees, seen, a);
    paired_channels(&w, a);
    paired_twice(&w, a);
}

/* the same functions on 9 and 27 points, of which every third is one of the nine */
static void meshes(void)
{
    enum { n = 9, n3 = 27 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s[2] = { cells(&a, n), cells(&a, n3) };
    fd_cov *C = fd_cov_matern(&a, &s[0], 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s[0], 1.3, .3, 1.5);
    const double where[3] = { .21, .5, .77 }, y[3] = { 1.2, -.3, .4 }, t = .4;
    fd_real x[n3], in[2][n3 * 5], y0[2][n3], m0[n], m3[n3], D[2][n3];
    double cout[2];
    fd_cov_draw(c0, fd_seed(3), 0, 1, m0, a);
    fd_resample(&s[0], &s[1], 1, m0, m3, a);
    for (int base = FD_BASE_NONE; base <= FD_BASE_GAUSS; base++) {
        for (int k = 0; k < 2; k++) {
            fd_process p = fd_ou(fd_cov_on(&a, fd_cov_table(&a, &s[0], C->lam), &s[k]), 6);
            fd_cov *c = fd_cov_on(&a, fd_cov_table(&a, &s[0], c0->lam), &s[k]);
            fd_obs o = fd_obs_points(&a, &s[k], 3, where, NULL);
            fd_obs_noise(&a, &o, .1);
            fd_condition how = { .p = &p, .base = base, .predicts = FD_X0, .mean = k ? m3 : m0,
                                 .c0 = c,
                                 .model = fd_oracle_gauss(&a, &p, NULL, c),
                                 .sees = FD_SEES_POSTERIOR + FD_SEES_DENOISED + FD_SEES_SLOPE };
            fd_amortised *w = fd_amortised_new(&a, &how, &o);
            fd_cov_draw(c, fd_seed(4), 0, 1, x, a);
            fd_amortised_pair(w, 1, y, x, NULL, x, &t, in[k], y0[k], cout + k, a);
            fd_model m = fd_amortised_model(&a, w, y, zero);
            m.eval(m.self, &s[k], 1, x, &t, D[k], a);
        }
        OK(!st.code, "meshes: %s", st.code ? st.what : "");
        if (st.code) return;
        NEAR(cout[1], cout[0], TOL(1e-12, 1e-5), "base %d: cout on two grids", base);
        for (int c = 0; c < 5; c++)
            for (int i = 0; i < n; i++)
                NEAR((double)in[1][c * n3 + 3 * i + 1], (double)in[0][c * n + i], TOL(1e-11, 2e-5),
                     "base %d: channel %d on two grids", base, c);
        for (int i = 0; i < n; i++) {
            NEAR((double)y0[1][3 * i + 1], (double)y0[0][i], TOL(1e-11, 1e-4), "base %d: target",
                 base);
            NEAR((double)D[1][3 * i + 1], (double)D[0][i], TOL(1e-11, 2e-5), "base %d: model",
                 base);
        }
    }
}

/* a network that changes nothing, on the Gaussian base: the law of the samples is that of exact
 * guidance, and to the steps' own error the posterior */
static void zero_network(void)
{
    enum { n = 12, STEPS = 40 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = cells(&a, n);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, 1.3, .3, 1.5);
    fd_process p = fd_ou(C, 12);
    const double where[2] = { .21, .77 }, y[2] = { 1.2, -.3 };
    fd_real m0[n];
    double t[STEPS + 1];
    static double mean[2][n], cov[2][n * n], my[n], K[n * n];
    for (int i = 0; i < n; i++) m0[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / n);
    fd_obs o = fd_obs_points(&a, &s, 2, where, NULL);
    fd_obs_noise(&a, &o, .2);
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_condition how = { .p = &p, .base = FD_BASE_GAUSS, .mean = m0, .c0 = c0 };
    fd_guide guide = { .p = &p, .model = fd_oracle_gauss(&a, &p, m0, c0), .o = &o, .y = y,
                       .rule = FD_GUIDE_EXACT };
    fd_model m[2] = { fd_amortised_model(&a, fd_amortised_new(&a, &how, &o), y, zero),
                      fd_guided(&a, &guide) };
    for (int j = 0; j < 2; j++) {
        steps c = { { .p = &p, .model = m[j], .t = t, .steps = STEPS,
                      .scheme = FD_ANCESTRAL_LARGE },
                    0, 0, n };
        fd_real *e = fd_new(&a, fd_real, n * n);
        for (int i = 0; i < n && e; i++) e[i * (n + 1)] = (fd_real)sqrt(C->lam[i]);
        fd_from_modes(&s, n, e, e, a);
        for (int i = 0; i < n * n && e; i++)                 /* the start: N(0, C) */
            for (int k = 0; k < n; k++)
                cov[j][i] += (double)e[k * n + i / n] * (double)e[k * n + i % n];
        for (int k = 0; k < STEPS && !st.code; k++) {
            c.t = t[k], c.s = t[k + 1];
            fd_affine_law(step_of, &c, n, n, mean[j], cov[j], a);
        }
    }
    OK(!st.code, "zero network: %s", st.code ? st.what : "");
    in_modes(c0, m0, &p, 0, &o, y, NULL, my, K, a);
    fd_real f[n];
    for (int k = 0; k < n; k++) f[k] = (fd_real)my[k];
    fd_from_modes(&s, 1, f, f, a);
    for (int i = 0; i < n; i++) {
        NEAR(mean[0][i], mean[1][i], TOL(1e-10, 2e-4),
             "zero network: mean of the samples, cell %d", i);
        NEAR(mean[0][i], (double)f[i], .03, "zero network: mean of the posterior, cell %d", i);
        for (int j = 0; j < n; j++)
            NEAR(cov[0][i * n + j], cov[1][i * n + j], TOL(1e-10, 2e-4),
                 "zero network: covariance");
    }
}

/* the density given y, by the flow of the exact conditional denoiser and its var */
static void density(void)
{
    enum { n = 6, STEPS = 100 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = cells(&a, n);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, 1.3, .3, 1.5);
    fd_process p = fd_ou(C, 24);
    p.tmin = .1;
    const double where[2] = { .21, .77 }, y[2] = { 1.2, -.3 };
    double t[STEPS + 1], got = 0, want = 0, mean[n], K[n * n];
    fd_obs o = fd_obs_points(&a, &s, 2, where, NULL);
    fd_obs_noise(&a, &o, .2);
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_sampler how = { .p = &p, .t = t, .steps = STEPS, .scheme = FD_PF_RK4,
                       .model = fd_oracle_posterior(&a, &p, 1, NULL, NULL, (const fd_cov *[]){ c0 },
                                                    &o, y) };
    fd_real x[n], u[n];
    fd_cov_draw(C, fd_seed(1), 0, 1, x, a);
    fd_loglik(&how, 0, fd_seed(1), 0, 1, x, &got, a);
    in_modes(c0, NULL, &p, 0, &o, y, NULL, mean, K, a);      /* at tmin: N(m mean, m^2 K + v C) */
    fd_coef f = fd_law(&p, .1, 0);
    fd_to_modes(&s, 1, x, u, a);
    for (int i = 0; i < n * n; i++) K[i] *= f.m * f.m;
    for (int k = 0; k < n; k++) K[k * (n + 1)] += f.v * C->lam[k];
    fd_cholesky(&st, n, K);
    for (int k = 0; k < n; k++) mean[k] = (double)u[k] - f.m * mean[k];
    fd_solve_lower(n, K, 0, mean);
    for (int k = 0; k < n; k++)
        want -= .5 * mean[k] * mean[k] + log(K[k * (n + 1)]) + .5 * log(2 * acos(-1));
    OK(!st.code, "density: %s", st.code ? st.what : "");
    NEAR(got, want, TOL(2e-4, 5e-3), "log density given y");
}

/* --- a linear network: C 11 T19 --- */

enum { SEEN = N + M + 1, STEPS = 24 };
typedef struct { double t[STEPS + 1], w[STEPS + 1][N][SEEN]; int rows; } linear;

/* what it sees of its input [3][N]: the state, two values, and the mask for a constant */
static void linear_in(const fd_real *in, double v[SEEN])
{
    for (int i = 0; i < N; i++) v[i] = (double)in[i];
    for (int i = 0; i < M; i++) v[N + i] = (double)in[N + at[i]];
    v[N + M] = (double)in[2 * N + at[0]];
}

static void linear_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                        const double *t, fd_real *y, fd_arena a)
{
    const linear *l = self;
    (void)s, (void)a;
    for (int i = 0; i < b; i++) {
        double v[SEEN];
        int r = 0;
        while (r < l->rows - 1 && l->t[r] != t[i]) r++;
        linear_in(x + i * 3 * N, v);
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < SEEN; k++) sum += l->w[r][j][k] * v[k];
            y[i * N + j] = (fd_real)sum;
        }
    }
}

/* n pairs at one time: with fit, least squares to w; else the mean loss a pixel, and its error */
static double linear_pairs(const setup *q, const fd_amortised *u, double t, fd_rng r, int n,
                           int fit, double w[N][SEEN], double *error, fd_arena a)
{
    enum { B = 250 };
    static double H[SEEN * SEEN], R[N][SEEN], ts[B];
    double sum = 0, sq = 0;
    fd_real *x = fd_raw(&a, fd_real, 7 * B * N);
    double *y = fd_raw(&a, double, B * M);
    if (!y) return NAN;
    fd_real *xt = x + B * N, *to = x + 2 * B * N, *in = x + 3 * B * N;
    memset(H, 0, sizeof H), memset(R, 0, sizeof R);
    for (int i = 0; i < B; i++) ts[i] = t;
    for (int first = 0; first < n; first += B) {
        fd_cov_draw(q->c0, fd_stream(r, 'x', 0), first, B, x, a);
        fd_obs_draw(&q->o, fd_stream(r, 'y', 0), first, B, x, y, a);
        fd_perturb(&q->p, fd_stream(r, 'e', 0), first, B, x, ts, xt, NULL, a);
        fd_amortised_pair(u, B, y, x, NULL, xt, ts, in, to, NULL, a);
        for (int i = 0; i < B && !a.st->code; i++) {
            double v[SEEN], loss = 0;
            linear_in(in + i * 3 * N, v);
            for (int j = 0; j < SEEN && fit; j++)
                for (int k = 0; k <= j; k++) H[j * SEEN + k] += v[j] * v[k];
            for (int j = 0; j < N; j++) {
                double off = (double)to[i * N + j];
                for (int k = 0; k < SEEN && fit; k++) R[j][k] += off * v[k];
                for (int k = 0; k < SEEN && !fit; k++) off -= w[j][k] * v[k];
                loss += off * off / N;
            }
            sum += loss, sq += loss * loss;
        }
    }
    if (fit) {
        for (int j = 0; j < SEEN; j++) H[j * (SEEN + 1)] += 1e-9 * n;
        fd_cholesky(a.st, SEEN, H);
        for (int j = 0; j < N; j++) {
            memcpy(w[j], R[j], sizeof R[j]);
            fd_solve_lower(SEEN, H, 0, w[j]), fd_solve_lower(SEEN, H, 1, w[j]);
        }
    }
    if (error) *error = sqrt((sq / n - sum / n * (sum / n)) / n);
    return sum / n;
}

static void linear_score(void)
{
    enum { TRUTHS = 256, DRAWS = 15, BINS = 8, FUNCTIONALS = 6 };
    static setup q;
    static linear l;
    fd_status st;
    fd_arena a = test_arena(1 << 25, &st);
    setup_new(&q, &a);
    fd_condition how = { .p = &q.p, .base = FD_BASE_NONE, .predicts = FD_X0,
                         .sees = FD_SEES_VALUES };
    fd_amortised *w = fd_amortised_new(&a, &how, &q.o);
    double error, floor = .15575288;
    linear_pairs(&q, w, .4, fd_seed(1), 20000, 1, l.w[0], NULL, a);
    double loss = linear_pairs(&q, w, .4, fd_seed(2), 20000, 0, l.w[0], &error, a);
    OK(!st.code, "linear: %s", st.code ? st.what : "");
    OK(loss < 1.02 * floor, "the loss of a linear network: %g, floor %g", loss, floor);
    OK(loss > floor - 3 * error, "the loss of a linear network: %g +- %g, floor %g", loss, error,
       floor);
    /* one for each time of a sampler, whose draws must rank as the truth does */
    l.rows = STEPS + 1;
    fd_times(&q.p, FD_LOGSNR, 0, STEPS, l.t, &st);
    for (int k = 0; k <= STEPS; k++)
        linear_pairs(&q, w, l.t[k], fd_stream(fd_seed(3), 't', (uint32_t)k), 6000, 1, l.w[k], NULL,
                     a);
    int bins[FUNCTIONALS][BINS] = { { 0 } };
    for (int i = 0; i < TRUTHS && !st.code; i++) {
        fd_arena m = a;
        fd_rng r = fd_stream(fd_seed(4), 'i', (uint32_t)i);
        fd_real x[(DRAWS + 1) * N];
        double y[M];
        fd_cov_draw(q.c0, r, 0, 1, x, m);
        fd_obs_draw(&q.o, r, 0, 1, x, y, m);
        fd_sampler s = { .p = &q.p, .t = l.t, .steps = STEPS, .scheme = FD_PF_MULTISTEP,
                         .denoise = 1,
                         .model = fd_amortised_model(&m, w, y, (fd_model){ FD_X0, linear_eval, NULL,
                                                                           NULL, &l, NULL }) };
        fd_sample(&s, fd_stream(r, 's', 0), 0, DRAWS, x + N, m);
        for (int f = 0; f < FUNCTIONALS; f++) {
            double v[DRAWS + 1];
            int rank = 0;
            for (int k = 0; k <= DRAWS; k++) {
                v[k] = f < 4 ? (double)x[k * N + (int[]){ 4, 8, 12, 0 }[f]] : 0;
                for (int j = 0; j < N && f == 4; j++) v[k] += (double)x[k * N + j];
                for (int j = 0; j < N && f == 5; j++) v[k] += pow((double)x[k * N + j], 2);
                rank += k && v[k] < v[0];
            }
            bins[f][rank * BINS / (DRAWS + 1)]++;
        }
    }
    OK(!st.code, "linear: %s", st.code ? st.what : "");
    for (int f = 0; f < FUNCTIONALS; f++) {
        double chi = 0, each = (double)TRUTHS / BINS;
        for (int k = 0; k < BINS; k++) chi += pow(bins[f][k] - each, 2) / each;
        OK(chi < 24.32, "ranks of functional %d: chi^2 = %g of 7 degrees, p below .001", f, chi);
    }
}

/* --- networks, and what cannot be --- */

static void networks(void)
{
    enum { n = 16 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s[2] = { cells(&a, n), cells(&a, 2 * n) };
    const double where[2] = { .21, .77 }, y[2] = { 1.2, -.3 }, t[3] = { .4, .4, .7 };
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 3, .out = 1, .width = 8, .layers = 2,
                     .fno.modes = { 6 }, .time = FD_TIME_FILM };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_real x[6 * n], D[6 * n + 1], one[2 * n], in[6 * n * 3], y0[6 * n], base[6 * n];
    double ys[6], cout[3];
    for (int i = 0; i < 6; i++) ys[i] = y[i % 2];
    for (int k = 0; k < 2; k++) {
        fd_cov *C = fd_cov_matern(&a, &s[k], 1, .2, 1.5);
        fd_process p = fd_ou(C, 6);
        fd_condition how = { .p = &p, .base = FD_BASE_GAUSS, .c0 = C, .sees = FD_SEES_POSTERIOR };
        fd_obs o = fd_obs_points(&a, &s[k], 2, where, NULL);
        fd_amortised *w = fd_amortised_new(&a, &how, &o);
        fd_model m = fd_amortised_model(&a, w, y, fd_net_raw(&a, net));
        fd_cov_draw(C, fd_seed(4), 0, 3, x, a);
        D[3 * s[k].points] = 7;
        m.eval(m.self, &s[k], 3, x, t, D, a);
        OK(!st.code && D[3 * s[k].points] == 7, "a network: %s", st.code ? st.what : "");
        fd_model B = fd_amortised_model(&a, w, y, zero);
        B.eval(B.self, &s[k], 3, x, t, base, a);
        fd_amortised_pair(w, 3, ys, x, NULL, x, t, in, y0, cout, a);
        fd_tape tape = fd_tape_begin(&a, FD_EVAL);
        fd_var *in3 = fd_input(&tape, 3, (int[]){ 3, 3, (int)s[k].points }, in);
        fd_var *F = fd_forward(net, &tape, &s[k], in3, t);
        for (int i = 0; i < 3 * s[k].points && F; i++)
            NEAR((double)D[i], (double)base[i] + cout[i / s[k].points] * (double)F->x[i],
                 TOL(1e-12, 1e-5), "D = B + cout F");
        fd_tape_end(&tape);
        for (int i = 0; i < 3; i++) {
            m.eval(m.self, &s[k], 1, x + i * s[k].points, t + i, one, a);
            OK(!memcmp(one, D + i * s[k].points, (size_t)s[k].points * sizeof *one), "its batch");
        }
        m = fd_net_model(&a, net, FD_X0);
        m.eval(m.self, &s[k], 1, x, t, D, a);
        OK(st.code == FD_ESHAPE, "it is no model by itself");
        st.code = 0;
        how.sees = 0;
        m = fd_amortised_model(&a, fd_amortised_new(&a, &how, &o), y, fd_net_raw(&a, net));
        m.eval(m.self, &s[k], 1, x, t, D, a);
        OK(st.code == FD_ESHAPE, "it wants other channels");
        st.code = 0;
        m = fd_amortised_model(&a, w, y, zero);
        m.eval(m.self, &s[1 - k], 1, x, t, D, a);
        OK(st.code == FD_ESHAPE, "another grid");
        st.code = 0;
    }
}

static void refused(void)
{
    enum { n = 8 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, n), other = cells(&a, n + 1);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, 1.5);
    fd_process p = fd_ou(C, 6), flow = fd_flow(C, 0);
    const double y[2] = { 1, 2 }, bad[2] = { 1, NAN }, t = .4, start = 0;
    fd_obs o = fd_obs_points(&a, &s, 2, (double[]){ .2, .7 }, NULL);
    fd_obs far = fd_obs_points(&a, &other, 2, (double[]){ .2, .7 }, NULL), none = { .m = 0 };
    fd_obs_noise(&a, &o, .1);
    fd_obs bent = o;
    bent.linear = 0;
    const fd_condition ok = { .p = &p, .base = FD_BASE_GAUSS, .c0 = C, .sees = FD_SEES_POSTERIOR };
    struct { int base, sees, c0, predicts; const fd_obs *o; int code; } rows[] = {
        { 0, 0, 1, 0, &o, FD_EARG },
        { 4, 0, 1, 0, &o, FD_EARG },
        { FD_BASE_GAUSS, 16, 1, 0, &o, FD_EARG },
        { FD_BASE_GAUSS, -1, 1, 0, &o, FD_EARG },
        { FD_BASE_MODEL, 0, 1, 0, &o, FD_EARG },
        { FD_BASE_GAUSS, 0, 0, 0, &o, FD_EARG },
        { FD_BASE_NONE, FD_SEES_POSTERIOR, 0, 0, &o, FD_EARG },
        { FD_BASE_NONE, 0, 0, 99, &o, FD_EARG },
        { FD_BASE_NONE, FD_SEES_VALUES, 0, 0, &o, FD_EARG },
        { FD_BASE_GAUSS, 0, 1, 0, &far, FD_ESHAPE },
        { FD_BASE_GAUSS, 0, 1, 0, &bent, FD_EARG },
        { FD_BASE_NONE, FD_SEES_POSTERIOR, 1, 0, &bent, FD_EARG },
        { FD_BASE_NONE, FD_SEES_SLOPE, 1, 0, &bent, FD_OK },
        { FD_BASE_GAUSS, 0, 1, 0, &none, FD_OK } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fd_condition how = { .p = &p, .base = rows[i].base, .sees = rows[i].sees,
                             .predicts = rows[i].predicts, .c0 = rows[i].c0 ? C : NULL };
        st.code = 0;
        fd_amortised *w = fd_amortised_new(&a, &how, rows[i].o);
        OK(st.code == rows[i].code && (rows[i].code ? !w : 1), "row %d", (int)i);
    }
    st.code = 0;
    fd_amortised *w = fd_amortised_new(&a, &ok, &o);
    OK(!fd_amortised_model(&a, w, bad, zero).eval && st.code == FD_EDATA, "y not finite");
    st.code = 0;
    OK(!fd_amortised_model(&a, w, NULL, zero).eval && st.code == FD_EARG, "no y");
    st.code = 0;
    OK(!fd_amortised_model(&a, w, y, (fd_model){ 0 }).eval && st.code == FD_EARG, "no network");
    st.code = 0;
    OK(!fd_amortised_model(&a, NULL, y, zero).eval && !st.code, "a failed one");
    fd_real x[n] = { 0 }, in[3 * n], target[n];
    target[0] = 7;
    fd_amortised_pair(w, 1, NULL, x, NULL, x, &t, in, target, NULL, a);
    OK(st.code == FD_EARG && target[0] == 7, "a pair without y");
    st.code = 0;
    fd_condition how = { .p = &flow, .base = FD_BASE_GAUSS, .c0 = C };
    w = fd_amortised_new(&a, &how, &o);
    fd_amortised_pair(w, 1, y, x, NULL, x, &start, in, target, NULL, a);
    OK(st.code == FD_EARG && target[0] == 7, "a pair where x0 is known");
    st.code = 0;
    how = (fd_condition){ .p = &p, .base = FD_BASE_NONE, .predicts = FD_NOISE };
    fd_amortised_pair(fd_amortised_new(&a, &how, &o), 1, y, x, NULL, x, &t, in, target, NULL, a);
    OK(st.code == FD_EARG && target[0] == 7, "a target that needs the noise");
}

/* all of it in too little memory */
static void all_of_it(const void *self, fd_real *out, fd_arena a)
{
    enum { n = 8 };
    fd_space s = cells(&a, n);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, 1.3, .3, 1.5);
    fd_process p = fd_ou(C, 6);
    const double y[2] = { 1, 2 }, t = .4;
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 2, 6 });
    fd_obs_noise(&a, &o, .1);
    fd_condition how = { .p = &p, .base = FD_BASE_GAUSS, .sees = 15, .c0 = c0 };
    fd_amortised *w = fd_amortised_new(&a, &how, &o);
    fd_model m = fd_amortised_model(&a, w, y, zero);
    fd_real x[2 * n] = { 1 }, in[7 * n], target[n], D[n], w1[n];
    double power = fd_score_power(&p, c0, &o, t, a);
    (void)self;
    fd_amortised_pair(w, 1, y, x, NULL, x + n, &t, in, target, NULL, a);
    if (m.eval) m.eval(m.self, &s, 1, x, &t, D, a);
    fd_model post = fd_oracle_posterior(&a, &p, 1, NULL, NULL, (const fd_cov *[]){ c0 }, &o, y);
    if (post.var) post.var(post.self, &s, 1, x, &t, w1, a);
    if (a.st->code) return;
    for (int i = 0; i < n; i++) out[i] = target[i] + D[i] + w1[i] + in[7 * n - 1 - i];
    out[n] = (fd_real)power;
}

void test_amortised(void)
{
    transitions();
    conditional();
    singular();
    pairs();
    meshes();
    zero_network();
    density();
    linear_score();
    networks();
    refused();
    fd_real before[9];
    for (int i = 0; i < 9; i++) before[i] = (fd_real)i;
    test_starve("amortised", all_of_it, NULL, 9, before);
}
