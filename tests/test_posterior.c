/* test_posterior.c -- observations, exact posteriors, guidance, moves, Langevin dynamics and
 * chains: against dense algebra, and against the laws that samplers have exactly, step by step, for
 * Gaussian data. */
#include "test.h"

enum { MOST = 128 };
typedef struct { double kind, ell; } kernel;                        /* kind: nu = 1/2 or 3/2 */

static double kernel_at(const double *x, const double *y, const void *prm)
{
    const kernel *k = prm;
    double r = fabs(x[0] - y[0]) / k->ell;
    return k->kind < 1 ? exp(-r) : (1 + sqrt(3) * r) * exp(-sqrt(3) * r);
}

static const kernel rough3 = { .5, .3 }, rough2 = { .5, .2 }, smooth3 = { 1.5, .3 },
                    smooth15 = { 1.5, .15 };

static fd_space cells(fd_arena *a, int n)
{
    return fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
}

/* --- dense algebra in double, to compare with --- */

static void matrix_of(const fd_cov *c, int n, double *K, fd_arena a)   /* Gram matrix c(x_i, x_j) */
{
    fd_real *e = fd_new(&a, fd_real, n);
    for (int j = 0; j < n && e; j++) {
        memset(e, 0, (size_t)n * sizeof *e);
        e[j] = (fd_real)n;                                           /* 1/weight: delta */
        fd_cov_pow(c, 1, 1, e, e, a);
        for (int i = 0; i < n; i++) K[i * n + j] = (double)e[i];
    }
}

/* mean and covariance given y = A x + eta, A [m][n], by (K^-1-free) kriging with Cholesky of S */
static double krige(int n, int m, const double *A, const double *G, const double *y, double *mean,
                    double *K, fd_arena a)
{
    double *S = fd_new(&a, double, m * m), *KA = fd_new(&a, double, m * n);
    double *r = fd_new(&a, double, m), logp = 0;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++) KA[i * n + j] += A[i * n + k] * K[k * n + j];
    for (int i = 0; i < m; i++) {
        r[i] = y[i];
        for (int k = 0; k < n; k++) r[i] -= A[i * n + k] * mean[k];
        for (int j = 0; j < m; j++) {
            S[i * m + j] = G ? G[i * m + j] : 0;
            for (int k = 0; k < n; k++) S[i * m + j] += KA[i * n + k] * A[j * n + k];
        }
    }
    fd_cholesky(a.st, m, S);
    fd_solve_lower(m, S, 0, r);
    for (int i = 0; i < m; i++)
        logp -= .5 * r[i] * r[i] + log(S[i * m + i]) + .5 * log(2 * acos(-1));
    for (int j = 0; j < n; j++) {
        double c[MOST];
        for (int i = 0; i < m; i++) c[i] = KA[i * n + j];
        fd_solve_lower(m, S, 0, c);
        for (int i = 0; i < m; i++) KA[i * n + j] = c[i];
    }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < m; k++) mean[i] += KA[k * n + i] * r[k];
        for (int j = 0; j < n; j++)
            for (int k = 0; k < m; k++) K[i * n + j] -= KA[k * n + i] * KA[k * n + j];
    }
    return logp;
}

/* of a symmetric positive matrix */
static void inverse(int n, double *A, fd_arena a)
{
    double *L = fd_raw(&a, double, n * n), *e = fd_raw(&a, double, n);
    memcpy(L, A, (size_t)(n * n) * sizeof *L);
    fd_cholesky(a.st, n, L);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++) e[i] = i == j;
        fd_solve_lower(n, L, 0, e), fd_solve_lower(n, L, 1, e);
        for (int i = 0; i < n; i++) A[i * n + j] = e[i];
    }
}

static void times(int n, const double *A, const double *B, double *C)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            C[i * n + j] = 0;
            for (int k = 0; k < n; k++) C[i * n + j] += A[i * n + k] * B[k * n + j];
        }
}

/* --- observations: adjoints by dot products, functionals on two grids --- */

static void adjoint_of(const fd_obs *o, const char *name, fd_arena a)
{
    const ptrdiff_t n = fd_size(&o->s);
    fd_real *x = fd_raw(&a, fd_real, 2 * n), *g = fd_raw(&a, fd_real, 2 * n);
    double *y = fd_raw(&a, double, 2 * (ptrdiff_t)o->m);
    double *w = fd_raw(&a, double, 2 * (ptrdiff_t)o->m);
    fd_real *lots = fd_raw(&a, fd_real, 2 * (ptrdiff_t)o->m);
    OK(!a.st->code && o->m > 0, "%s is made", name);
    if (a.st->code || !o->m) return;
    fd_normal(fd_seed(3), 2 * n, x);
    fd_normal(fd_seed(4), 2 * o->m, lots);
    for (int i = 0; i < 2 * o->m; i++) w[i] = (double)lots[i];
    o->apply(o->self, &o->s, 2, x, y, a);
    fd_obs_adjoint(o, 2, NULL, w, g, a);
    for (int b = 0; b < 2; b++) {
        double left = 0, right = fd_inner(&o->s, g + b * n, x + b * n), size = 0;
        for (int i = b * o->m; i < (b + 1) * o->m; i++)
            left += y[i] * w[i], size += fabs(y[i] * w[i]);
        NEAR(left, right, TOL(1e-12, 1e-5) * (1 + size), "%s: <A x, w> = <x, A* w>", name);
    }
    NEAR(fd_obs_check(o, x, fd_seed(5), a), 0, TOL(1e-10, 1e-3), "%s: its transpose, checked",
         name);
}

/* A value at a point of the grid, and a mean over a box by a fine midpoint rule. */
static void box_mean(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ 15 }, NULL, NULL, 1);
    fd_real x[15];
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_cov_draw(c, fd_seed(7), 0, 1, x, a);
    enum { FINE = 2000 };
    double *fine = fd_raw(&a, double, FINE), *got = fd_raw(&a, double, FINE), mean = 0, one;
    for (int i = 0; i < FINE; i++) fine[i] = .3 + .2 * (i + .5) / FINE;
    fd_obs o = fd_obs_points(&a, &s, FINE, fine, NULL);
    fd_obs box = fd_obs_boxes(&a, &s, 1, (double[]){ .4 }, (double[]){ .1 }, NULL);
    o.apply(o.self, &s, 1, x, got, a);
    for (int i = 0; i < FINE; i++) mean += got[i] / FINE;
    box.apply(box.self, &s, 1, x, &one, a);
    NEAR(one, mean, TOL(1e-7, 1e-5), "mean over a box");
    o = fd_obs_points(&a, &s, 1, (double[]){ 4. / 15 }, NULL);
    o.apply(o.self, &s, 1, x, &one, a);
    NEAR(one, (double)x[4], TOL(1e-13, 1e-5), "value at a grid point");
}

/* Bad input. */
static void observations_wrong(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ 15 }, NULL, NULL, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_obs o;
    static const struct { double at; int ch, code; } rows[] = {
        { -.1, 0, FD_EARG }, { 1.1, 0, FD_EARG }, { NAN, 0, FD_EARG }, { .5, 1, FD_EARG },
        { .5, -1, FD_EARG } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        a.st->code = 0;
        o = fd_obs_points(&a, &s, 1, &rows[i].at, &rows[i].ch);
        OK(a.st->code == rows[i].code && o.m == 0, "place %g, channel %d", rows[i].at, rows[i].ch);
    }
    a.st->code = 0;
    o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 15 });
    OK(a.st->code == FD_EARG && !o.m, "an index too many");
    a.st->code = 0;
    o = fd_obs_points(&a, &s, 2, (double[]){ .3, .3 }, NULL);
    OK(!fd_gain_new(&a, &o, c, NULL) && a.st->code == FD_EDATA, "two at one place without noise");
    a.st->code = 0;
    fd_obs_noise(&a, &o, .1);
    OK(fd_gain_new(&a, &o, c, NULL) && !a.st->code, "two at one place with noise");
    fd_obs_noise(&a, &o, NAN);
    OK(a.st->code == FD_EDATA, "noise that is not a number");
    a.st->code = 0;
    OK(!fd_posterior_new(&a, NULL, c, &o, (double[]){ 1, INFINITY }) && a.st->code == FD_EDATA,
       "y not finite");
}

static void observations(void)
{
    static const double at[5][2] = { { .31, .37 }, { 0, 0 }, { 1.7, .6 }, { .385, .123 },
                                     { 1.2, .45 } };
    static const double half[5][2] = { { .1, .05 }, { 0, .1 }, { .2, 0 }, { .05, .05 },
                                       { .3, .2 } };
    static const int ch[5] = { 0, 1, 1, 0, 1 };
    fd_status st;
    fd_arena all = test_arena(1 << 24, &st);
    const double len[2] = { 1.7, .6 };
    for (int bc = 0; bc < 16; bc++) {
        double y[2][4][10];
        for (int g = 0; g < 2; g++) {
            fd_arena a = all;
            fd_space s = fd_grid(&a, 2, g ? (int[]){ 21, 18 } : (int[]){ 9, 8 }, len,
                                 (int[]){ bc / 4, bc % 4 }, 2);
            fd_space small = fd_grid(&a, 2, (int[]){ 9, 8 }, len, (int[]){ bc / 4, bc % 4 }, 2);
            fd_space sub = fd_grid(&a, 2, (int[]){ 3, 4 }, len, (int[]){ bc / 4, bc % 4 }, 2);
            const ptrdiff_t n = fd_size(&s);
            fd_real *x = fd_raw(&a, fd_real, n), *x0 = fd_raw(&a, fd_real, n);
            fd_real *phi = fd_raw(&a, fd_real, 3 * n), *phi0 = fd_raw(&a, fd_real, 3 * n);
            fd_cov *c = fd_cov_matern(&a, &small, 1, .3, 2.5);
            fd_cov_draw(c, fd_seed(1), 0, 1, x0, a);
            fd_resample(&small, &s, 1, x0, x, a);
            fd_cov_draw(c, fd_seed(2), 0, 3, phi0, a);
            fd_resample(&small, &s, 3, phi0, phi, a);
            fd_obs o[4] = { fd_obs_points(&a, &s, 5, at[0], ch),
                            fd_obs_boxes(&a, &s, 5, at[0], half[0], ch),
                            fd_obs_functions(&a, &s, 3, phi), fd_obs_coarse(&a, &s, &sub) };
            static const char *const name[] = { "points", "boxes", "functions", "coarse" };
            OK(!st.code, "boundary %d, grid %d: %s", bc, g, st.code ? st.what : "");
            if (st.code) return;
            for (int k = 0; k < 4; k++) {
                double z[24];
                adjoint_of(&o[k], name[k], a);
                o[k].apply(o[k].self, &s, 1, x, z, a);
                memcpy(y[g][k], z, sizeof y[g][k]);
            }
            double *mul = fd_new(&a, double, s.modes);
            fd_laplace(&s, mul, a);
            for (ptrdiff_t k = 0; k < s.modes; k++) mul[k] = exp(-.01 * mul[k]);
            fd_obs blur = fd_obs_modal(&a, &s, mul);
            adjoint_of(&blur, "modal", a);
            ptrdiff_t pick[3] = { 2, n - 1, s.points };
            fd_obs mask = fd_obs_pick(&a, &s, 3, pick), full = fd_obs_matrix(&a, &s, 3, phi);
            adjoint_of(&mask, "pick", a);
            adjoint_of(&full, "matrix", a);
            double z[3];
            mask.apply(mask.self, &s, 1, x, z, a);
            OK(z[0] == (double)x[2] && z[1] == (double)x[n - 1] && z[2] == (double)x[s.points],
               "picked values");
        }
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < (k == 2 ? 3 : 5); i++)
                NEAR(y[1][k][i], y[0][k][i], TOL(1e-12, 2e-5),
                     "boundary %d, functional %d.%d on two grids", bc, k, i);
    }
    box_mean(all);
    observations_wrong(all);
}

/* --- the algebra that they share: against dense matrices --- */

static void gains(void)
{
    enum { N = 12, M = 3 };
    static const double sd[M] = { .2, .3, .1 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, N);
    fd_cov *c = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_obs o = fd_obs_pick(&a, &s, M, (ptrdiff_t[]){ 1, 5, 9 });
    fd_obs_noise_each(&a, &o, sd);
    fd_gain *g = fd_gain_new(&a, &o, c, NULL);
    double K[N * N], A[M * N] = { 0 }, G[M * M] = { 0 }, y[M] = { 1, -.3, .4 }, mean[N];
    double eta[M] = { .01, -.2, .05 }, shifted[M];
    fd_real x[N];
    fd_cov_draw(c, fd_seed(3), 0, 1, x, a);
    matrix_of(c, N, K, a);
    for (int i = 0; i < M; i++)
        A[i * N + 1 + 4 * i] = 1, G[i * (M + 1)] = sd[i] * sd[i], shifted[i] = y[i] - eta[i];
    for (int i = 0; i < N * N; i++) K[i] *= 2.385;
    for (int i = 0; i < N; i++) mean[i] = (double)x[i];
    krige(N, M, A, G, shifted, mean, K, a);           /* Matheron's rule with prior N(x, 2.385 C) */
    fd_gain_condition(g, 2.385, 1, y, eta, x, a);
    for (int i = 0; i < N; i++)
        NEAR((double)x[i], mean[i], TOL(1e-10, 1e-4), "conditioned, point %d", i);
    double S[M * M], det = 0;
    matrix_of(c, N, K, a);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            S[i * M + j] = .7 * K[(1 + 4 * i) * N + 1 + 4 * j] + 1.3 * G[i * M + j];
    fd_cholesky(&st, M, S);
    for (int i = 0; i < M; i++) det += 2 * log(S[i * (M + 1)]);
    NEAR(fd_gain_logdet(g, .7, 1.3, a), det, TOL(1e-11, 1e-4), "log det");
    OK(!st.code, "gains: %s", st.code ? st.what : "");
    /* modes at any place against the transform of a function that is one mode */
    fd_space q = fd_grid(&a, 2, (int[]){ 5, 4 }, (double[]){ 1.7, .6 },
                         (int[]){ FD_PERIODIC, FD_MIXED }, 1);
    fd_real E[20], e[20];
    for (int p = 0; p < 20; p += 7) {
        double at[2] = { fd_coord(&q, 0, p / 4), fd_coord(&q, 1, p % 4) };
        fd_modes_at(&q, 1, at, NULL, E);
        for (int k = 0; k < 20; k++) {
            memset(e, 0, sizeof e), e[k] = 1;
            fd_from_modes(&q, 1, e, e, a);
            NEAR((double)E[k], (double)e[p], TOL(1e-13, 1e-5), "mode %d at point %d", k, p);
        }
    }
}

/* --- exact posteriors --- */

/* Matheron's rule, by chance: mean and variance of draws; K: the covariance [N][N]. */
static void matheron(const fd_posterior *p, int kind, const double *mean, const double *K,
                     fd_arena a)
{
    enum { B = 4096, N = 32 };
    fd_real *x = fd_raw(&a, fd_real, B * N), *again = fd_raw(&a, fd_real, 8 * N);
    fd_posterior_draw(p, fd_seed(5), 0, B, x, a);
    fd_posterior_draw(p, fd_seed(5), 100, 8, again, a);
    OK(!memcmp(again, x + 100 * N, 8 * N * sizeof *x), "draws do not depend on the batch");
    for (int i = 0; i < N; i += 3) {
        double sum = 0, sq = 0, v = fmax(K[i * N + i], 0);
        for (int b = 0; b < B; b++) sum += (double)x[b * N + i] / B;
        for (int b = 0; b < B; b++) sq += pow((double)x[b * N + i] - sum, 2) / B;
        NEAR(sum, mean[i], 4.5 * sqrt(v / B) + TOL(1e-9, 1e-4), "mean of draws, noise %d", kind);
        NEAR(sq, v, 4.5 * v * sqrt(2. / B) + TOL(1e-9, 1e-4), "variance of draws, noise %d", kind);
    }
}

/* The same by precisions: C_y^-1 = K^-1 + A^T Gamma^-1 A, C_y^-1 mean_y = K^-1 mean + A^T Gamma^-1
 * y. */
static void by_precisions(fd_arena a)
{
    enum { P = 8 };
    static const double y[2] = { 1.2, -.3 }, sd[2] = { .2, .3 };
    fd_real m0[P];
    for (int i = 0; i < P; i++) m0[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / 32);
    fd_space q = cells(&a, P);
    fd_cov *c = fd_cov_kernel(&a, &q, kernel_at, &rough2);
    fd_obs o = fd_obs_pick(&a, &q, 2, (ptrdiff_t[]){ 2, 5 });
    fd_obs_noise_each(&a, &o, sd);
    fd_posterior *p = fd_posterior_new(&a, m0, c, &o, y);
    double Q[P * P], r[P], dev;
    fd_real got[P];
    matrix_of(c, P, Q, a);
    inverse(P, Q, a);
    for (int i = 0; i < P; i++) {
        r[i] = 0;
        for (int j = 0; j < P; j++) r[i] += Q[i * P + j] * (double)m0[j];
    }
    for (int i = 0; i < 2; i++)
        Q[(2 + 3 * i) * (P + 1)] += 1 / (sd[i] * sd[i]), r[2 + 3 * i] += y[i] / (sd[i] * sd[i]);
    inverse(P, Q, a);
    fd_posterior_std(p, got, a);
    OK(p && !a.st->code, "posterior by precisions");
    if (!p) return;
    for (int i = 0; i < P; i++) {
        dev = 0;
        for (int j = 0; j < P; j++) dev += Q[i * P + j] * r[j];
        NEAR((double)p->mean[i], dev, TOL(1e-12, 1e-5), "mean by precisions");
        NEAR((double)got[i], sqrt(Q[i * (P + 1)]), TOL(1e-12, 1e-4), "deviation by precisions");
    }
}

/* Mode by mode against the matrix of the same operator. */
static void mode_by_mode(fd_arena a)
{
    fd_space q = fd_grid(&a, 2, (int[]){ 6, 5 }, NULL, (int[]){ FD_PERIODIC, FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(&a, &q, 1, .3, 1.5);
    double mul[30];
    fd_real B[30 * 30], x[30], e[30], dev[2][30];
    fd_laplace(&q, mul, a);
    for (int k = 0; k < 30; k++) mul[k] = exp(-.004 * mul[k]);
    fd_obs blur = fd_obs_modal(&a, &q, mul);
    for (int j = 0; j < 30; j++) {
        double z[30];
        memset(e, 0, sizeof e), e[j] = 1;
        blur.apply(blur.self, &q, 1, e, z, a);
        for (int i = 0; i < 30; i++) B[i * 30 + j] = (fd_real)z[i];
    }
    fd_obs full = fd_obs_matrix(&a, &q, 30, B);
    fd_obs_noise(&a, &blur, .2), fd_obs_noise(&a, &full, .2);
    double z[30];
    fd_cov_draw(c, fd_seed(8), 0, 1, x, a);
    fd_obs_draw(&blur, fd_seed(9), 0, 1, x, z, a);
    fd_posterior *p[2] = { fd_posterior_new(&a, NULL, c, &blur, z),
                           fd_posterior_new(&a, NULL, c, &full, z) };
    OK(!a.st->code, "modal");
    if (a.st->code) return;
    for (int k = 0; k < 2; k++) fd_posterior_std(p[k], dev[k], a);
    NEAR(p[0]->evidence, p[1]->evidence, TOL(1e-10, 2e-3), "evidence mode by mode");
    for (int i = 0; i < 30; i++) {
        NEAR((double)p[0]->mean[i], (double)p[1]->mean[i], TOL(1e-11, 1e-4), "mean mode by mode");
        NEAR((double)dev[0][i], (double)dev[1][i], TOL(1e-11, 1e-3), "deviation mode by mode");
    }
    /* C 4.4: var_k = lam noise/(h^2 lam + noise), noise = sd^2/n */
    double want = 0;
    for (int k = 0; k < 30; k++) {
        double nz = .04 * q.h, l = c->lam[k];
        want += l * nz / (mul[k] * mul[k] * l + nz);
    }
    double got = 0;
    for (int i = 0; i < 30; i++) got += (double)dev[0][i] * (double)dev[0][i] / 30;
    NEAR(got, want, TOL(1e-12, 1e-5), "mean variance of the diagonal posterior");
}

static void posteriors(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    enum { N = 32, M = 3 };
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    static const double y[M] = { 1.2, -.3, .4 }, sd[M] = { .2, .3, .1 };
    static const ptrdiff_t at[M] = { 5, 16, 27 };
    fd_real m0[N], pred[N];
    double K[N * N], mean[N], A[M * N] = { 0 }, G[M * M] = { 0 };
    for (int i = 0; i < N; i++) m0[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / N);
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    for (int kind = 0; kind < 4; kind++) {                         /* none, one, each, covariance */
        fd_obs o = fd_obs_pick(&a, &s, M, at);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < M; j++)
                G[i * M + j] = kind == 0   ? 0
                               : kind == 1 ? (i == j) * .05
                               : kind == 2 ? (i == j) * sd[i] * sd[i]
                                           : sd[i] * sd[j] * (i == j ? 1 : .3);
        if (kind == 1) fd_obs_noise(&a, &o, sqrt(.05));
        if (kind == 2) fd_obs_noise_each(&a, &o, sd);
        if (kind == 3) fd_obs_noise_cov(&a, &o, G);
        fd_posterior *p = fd_posterior_new(&a, m0, c0, &o, y);
        OK(p && !st.code, "posterior, noise %d", kind);
        if (!p) return;
        matrix_of(c0, N, K, a);
        for (int i = 0; i < N; i++) mean[i] = (double)m0[i];
        double logp = krige(N, M, A, kind ? G : NULL, y, mean, K, a);
        NEAR(p->evidence, logp, TOL(1e-10, 1e-4), "evidence, noise %d", kind);
        fd_posterior_std(p, pred, a);
        for (int i = 0; i < N; i++) {
            NEAR((double)p->mean[i], mean[i], TOL(1e-11, 2e-5), "mean, noise %d, point %d", kind,
                 i);
            NEAR((double)pred[i], sqrt(fmax(0, K[i * N + i])),
                 kind ? TOL(1e-9, 2e-3) : TOL(1e-6, 4e-3), "deviation, noise %d, point %d", kind,
                 i);
        }
        matheron(p, kind, mean, K, a);
    }
    by_precisions(a);
    mode_by_mode(a);
}

/* E[x0 | x_t, y] by conditioning the joint Gaussian of (y, x_t) at once: an independent route to C
 * O2, O4. The process is a matrix in the points, and may be modal. */
static double joint(const fd_cov *c0, const fd_process *p, double t, const fd_real *m0, int M,
                    const double *A0, double gamma, const double *y, const fd_real *xt,
                    double *mean, fd_arena a)
{
    int n = (int)c0->s.points;
    fd_cov m = *p->noise, v = *p->noise;
    m.lam = fd_raw(&a, double, n), v.lam = fd_raw(&a, double, n);
    for (int k = 0; k < n && v.lam; k++) {
        fd_coef f = fd_law(p, t, k);
        m.lam[k] = f.m, v.lam[k] = f.v * p->noise->lam[k];
    }
    double *K = fd_new(&a, double, n * n), *C = fd_new(&a, double, n * n);
    double *z = fd_new(&a, double, M + n);
    double *A = fd_new(&a, double, (M + n) * n), *G = fd_new(&a, double, (M + n) * (M + n));
    if (!G) return NAN;
    matrix_of(c0, n, K, a);
    matrix_of(&m, n, A + M * n, a);
    matrix_of(&v, n, C, a);
    memcpy(A, A0, (size_t)(M * n) * sizeof *A);
    for (int i = 0; i < M; i++) G[i * (M + n) + i] = gamma, z[i] = y[i];
    for (int i = 0; i < n; i++) {
        z[M + i] = (double)xt[i], mean[i] = m0 ? (double)m0[i] : 0;
        for (int j = 0; j < n; j++) A[(M + i) * n + j] /= n;
        for (int j = 0; j < n; j++) G[(M + i) * (M + n) + M + j] = C[i * n + j];
    }
    return krige(n, M + n, A, G, z, mean, K, a);
}

/* x_t = M x0 + N(0, G) at the points, for any process */
static void modal_law(const fd_process *p, double t, double *M, double *G, fd_arena a)
{
    const fd_space *s = &p->noise->s;
    const int n = (int)s->points;
    fd_real *u = fd_raw(&a, fd_real, n), *v = fd_raw(&a, fd_real, n);
    for (int j = 0; j < n && v; j++) {
        for (int i = 0; i < n; i++) u[i] = i == j;
        fd_to_modes(s, 1, u, u, a);
        for (int k = 0; k < n; k++) {
            fd_coef f = fd_law(p, t, k);
            v[k] = (fd_real)(f.v * p->noise->lam[k] / s->h * (double)u[k]),
                u[k] = (fd_real)(f.m * (double)u[k]);
        }
        fd_from_modes(s, 1, u, u, a), fd_from_modes(s, 1, v, v, a);
        for (int i = 0; i < n; i++) M[i * n + j] = (double)u[i], G[i * n + j] = (double)v[i];
    }
}

static void conditional(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    enum { N = 16, M = 2, J = 3 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .15, 1.5), *c[J];
    static const double ell[J] = { .3, .2, .5 }, y[M] = { 1, -.7 }, w[J] = { 1, 2.385, .5 };
    static const ptrdiff_t at[M] = { 4, 12 };
    fd_real means[J * N], x[N], D[N], E[N];
    double A[M * N] = { 0 }, mean[J][N], want[N];
    for (int j = 0; j < J; j++) {
        c[j] = fd_cov_matern(&a, &s, 1, ell[j], 1.5);
        for (int i = 0; i < N; i++)
            means[j * N + i] = (fd_real)(sin(2 * (j + 1) * (i + .5) / N) - j);
    }
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    fd_process p[] = { fd_ou(noise, 6), fd_vp(noise, .1, 20), fd_flow(noise, 0),
                       fd_driftless(noise, 10), fd_heat(noise, 1, .02, NULL, NULL, 2) };
    fd_cov_draw(c[1], fd_seed(1), 0, 1, x, a);
    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        for (int n = 1; n <= J; n += 2)
            for (int k = 0; k < 3; k++) {
                fd_arena b = a;
                double t = k == 0 ? p[i].tmax : k == 1 ? .4 : .07;
                fd_model m = fd_oracle_posterior(&b, &p[i], n, w, means, (const fd_cov **)c, &o, y);
                m.eval(m.self, &s, 1, x, &t, D, b);
                OK(!st.code, "process %d, %d components", (int)i, n);
                double l[J], top = -INFINITY, sum = 0;
                for (int j = 0; j < n; j++) {
                    l[j] = log(w[j]) + joint(c[j], &p[i], t, means + j * N, M, A, .05, y, x,
                                             mean[j], b);
                    top = fmax(top, l[j]);
                }
                for (int j = 0; j < n; j++) sum += l[j] = exp(l[j] - top);
                for (int q = 0; q < N; q++) {
                    want[q] = 0;
                    for (int j = 0; j < n; j++) want[q] += l[j] / sum * mean[j][q];
                    NEAR((double)D[q], want[q], TOL(1e-8, 2e-3) * (1 + fabs(want[q])),
                         "process %d, %d components, t = %g, point %d", (int)i, n, t, q);
                }
                if (n > 1) continue;
                fd_guide how = { .p = &p[i], .model = fd_oracle_gauss(&b, &p[i], means, c[0]),
                                 .o = &o, .y = y,
                                 .rule = FD_GUIDE_EXACT };
                fd_model g = fd_guided(&b, &how);
                g.eval(g.self, &s, 1, x, &t, E, b);
                OK(!st.code, "guided: %s", st.code ? st.what : "");
                for (int q = 0; q < N; q++)
                    NEAR((double)E[q], (double)D[q],
                         (!p[i].modal && fd_law(&p[i], t, 0).m < 1e-4 ? 1e-3 : TOL(1e-9, 2e-3))
                             * (1 + fabs((double)D[q])),
                         "exact guidance, process %d, t = %g", (int)i, t);
            }
}

/* A process that differs by mode, for data with its stationary law lam/2A: what is not known of x0
 * then has the covariance v C, so that Pi-GDM is exact. Moves that need a path of y are refused */
static void conditional_modes(void)
{
    enum { N = 12, M = 2 };
    static const double y[2 * M] = { 1, -.7, 1, -.7 };
    static const ptrdiff_t at[M] = { 3, 9 };
    fd_status st;
    fd_arena all = test_arena(1 << 24, &st);
    fd_space s = cells(&all, N);
    fd_cov *C = fd_cov_matern(&all, &s, 1, .15, .5);
    fd_process p = fd_heat(C, 1, .02, NULL, NULL, 2);
    double lam[N], mu[N], A[M * N] = { 0 }, want[N], path[M] = { 0 };
    fd_real x[2 * N], E[2 * N], m0[N];
    fd_laplace(&s, mu, all);
    for (int k = 0; k < N; k++) lam[k] = C->lam[k] / (2 * (1 + .02 * mu[k]));
    fd_cov *c0 = fd_cov_table(&all, &s, lam);
    for (int i = 0; i < N; i++) m0[i] = (fd_real)sin(6. * i / N);
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    fd_model free = fd_oracle_gauss(&all, &p, m0, c0);
    fd_cov_draw(c0, fd_seed(1), 0, 2, x, all);
    for (int noisy = 0; noisy < 2; noisy++)
        for (int k = 0; k < 3; k++) {
            fd_arena a = all;
            double t = k == 0 ? 2 : k == 1 ? .4 : .07, tb[2] = { t, t };
            fd_obs o = fd_obs_pick(&a, &s, M, at);
            if (noisy) fd_obs_noise(&a, &o, sqrt(.05));
            fd_guide how = { .p = &p, .model = free, .o = &o, .y = y, .rule = FD_GUIDE_PIGDM };
            fd_model g = fd_guided(&a, &how);
            g.eval(g.self, &s, 2, x, tb, E, a);
            OK(!st.code, "Pi-GDM by mode: %s", st.code ? st.what : "");
            for (int b = 0; b < 2; b++) {
                joint(c0, &p, t, m0, M, A, noisy ? .05 : 0, y, x + b * N, want, a);
                for (int i = 0; i < N; i++)
                    NEAR((double)E[b * N + i], want[i], TOL(1e-7, 5e-3) * (1 + fabs(want[i])),
                         "Pi-GDM by mode, t = %g, noise %d", t, noisy);
            }
        }
    fd_obs o = fd_obs_pick(&all, &s, M, at);
    fd_gain *g = fd_gain_new(&all, &o, C, NULL);
    fd_path_move(g, &p, FD_PATH_MEAN, .5, .4, 1, y, NULL, path, all);
    OK(st.code == FD_EARG, "no path of y where m is another for each mode");
    st.code = 0;
    fd_project_denoised(g, &p, .4, 1, y, x, NULL, E, NULL, all);
    OK(st.code == FD_EARG, "no projected denoiser there");
}

/* C grad log p_t(x|y) = -(x - m D)/v against differences of log p(y, x_t), one Gaussian and two */
static void conditional_scores(void)
{
    enum { N = 8, M = 2 };
    static const double y[M] = { 1, -.7 }, w[2] = { .4, .6 };
    static const ptrdiff_t at[M] = { 2, 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, N);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, .5),
        *c[2] = { fd_cov_matern(&a, &s, 1, .3, 1.5), fd_cov_matern(&a, &s, .5, .2, 1.5) };
    fd_process p = fd_vp(C, .1, 20);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    fd_real means[2 * N], x[N], D[N];
    double A[M * N] = { 0 }, K[N * N], mean[N], g[N], h = TOL(1e-5, 1e-2);
    for (int i = 0; i < N; i++) means[i] = (fd_real)sin(i), means[N + i] = (fd_real)cos(2 * i);
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    matrix_of(C, N, K, a);
    fd_cov_draw(c[0], fd_seed(5), 0, 1, x, a);
    for (int n = 1; n <= 2; n++)
        for (double t = .3; t < .8; t += .3) {
            fd_model m = fd_oracle_posterior(&a, &p, n, w, means, (const fd_cov **)c, &o, y);
            fd_predict(&m, FD_SCORE, &p, 1, x, &t, D, a);
            for (int i = 0; i < N; i++) {
                g[i] = 0;
                for (int e = -1; e <= 1; e += 2) {
                    fd_real z[N];
                    double l[2] = { -INFINITY, -INFINITY }, top;
                    memcpy(z, x, sizeof z);
                    z[i] += (fd_real)(e * h);
                    for (int j = 0; j < n; j++)
                        l[j] = log(w[j]) + joint(c[j], &p, t, means + j * N, M, A, .05, y, z, mean,
                                                 a);
                    top = fmax(l[0], l[1]);
                    g[i] += e * (top + log(exp(l[0] - top) + exp(l[1] - top))) / (2 * h);
                }
            }
            for (int i = 0; i < N; i++) {
                double want = 0;
                for (int j = 0; j < N; j++) want += K[i * N + j] * g[j];
                NEAR((double)D[i], want, TOL(1e-6, 5e-3) * (1 + fabs(want)),
                     "score of %d given y, t = %g", n, t);
            }
        }
    OK(!st.code, "scores: %s", st.code ? st.what : "");
}

/* --- laws of samplers, by fd_affine_law on the shipped steps --- */

static fd_affine_step cond_step, plain_step, lang_step;

enum { PLAIN, FLAT, MATHERON, DAMPED };
typedef struct {
    fd_sampler how;
    const fd_gain *g;
    fd_obs *o;
    const double *y;
    double t, s, h;
    int move, path, denoised, noisy;
    int n, m;
} cond;

/* state: x [n], path residual [m] where it is a bridge, e [m] where there is noise. z: modes [n],
 * path [m], e [m] */
static void cond_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    cond *c = self;
    const int n = c->n, m = c->m, S = n + 2 * m, Q = n + 2 * m;
    const fd_cov *C = c->how.p->noise;
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n);
    fd_real *d = fd_raw(&a, fd_real, b * n);
    double *y = fd_raw(&a, double, b * m), *path = fd_raw(&a, double, b * m);
    double *zp = fd_raw(&a, double, b * m);
    double *e = fd_raw(&a, double, b * m), *ze = fd_raw(&a, double, b * m);
    double *de = fd_raw(&a, double, b * m);
    if (!de) return;
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < n; j++) u[i * n + j] = (fd_real)x[i * S + j];
        for (int j = 0; j < n; j++) xi[i * n + j] = (fd_real)(sqrt(C->lam[j]) * z[i * Q + j]);
        for (int j = 0; j < m; j++) {
            y[i * m + j] = c->y[j];
            path[i * m + j] = x[i * S + n + j], e[i * m + j] = x[i * S + n + m + j];
            zp[i * m + j] = z[i * Q + n + j], ze[i * m + j] = z[i * Q + n + m + j];
        }
    }
    fd_from_modes(&C->s, b, xi, xi, a);
    if (c->h > 0) {                                                  /* a corrector at s */
        fd_sampler how = c->how;
        fd_coef f = fd_law(how.p, c->s, 0);
        how.corrector = FD_CORRECT_SCALED, how.cprm = 2 * c->h / f.v;
        fd_correct(&how, c->s, b, u, xi, d, a);
    } else {
        if (c->noisy) fd_noise_step(&c->how, c->o, c->t, c->s, b, e, de, ze, a);
        fd_advance(&c->how, c->t, c->s, b, u, xi, d, a);
    }
    if (c->path && !(c->h > 0))
        fd_path_move(c->g, c->how.p, c->path, c->t, c->s, b, y, zp, path, a);
    if (c->denoised)
        fd_project_denoised(c->g, c->how.p, c->s, b, y, d, c->noisy ? de : NULL, u,
                            c->noisy ? e : NULL, a);
    else if (c->move == FLAT) fd_project_flat(c->o, b, path, u, a);
    else if (c->move == PLAIN) fd_project(c->g, b, path, u, c->noisy ? e : NULL, a);
    else {                                       /* the recipes that are wrong: noise in the gain */
        double *r = fd_raw(&a, double, b * m), al = fd_law(c->how.p, c->s, 0).m;
        c->o->apply(c->o->self, &c->o->s, b, u, r, a);
        for (int i = 0; i < b * m; i++) r[i] = path[i] + al * c->o->sd * ze[i] - r[i];
        fd_gain_solve(c->g, 1, al * al, b, r, r, a);
        fd_gain_add(c->g, c->move == DAMPED ? .1 : 1, b, r, u, a);
    }
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < n; j++) x[i * S + j] = (double)u[i * n + j];
        for (int j = 0; j < m; j++)
            x[i * S + n + j] = path[i * m + j], x[i * S + n + m + j] = e[i * m + j];
    }
}

/* error of mean and deviation against kriging, relative, in the first n of a state of S */
static void errors(int n, int S, const double *mean, const double *cov, const double *my,
                   const double *Ky, double err[2])
{
    double d = 0, s = 0, dm = 0, ds = 0;
    for (int i = 0; i < n; i++) {
        double sd = sqrt(fmax(0, cov[i * S + i])), want = sqrt(fmax(0, Ky[i * n + i]));
        d += pow(mean[i] - my[i], 2), dm += my[i] * my[i];
        s += pow(sd - want, 2), ds += want * want;
    }
    err[0] = sqrt(d / dm), err[1] = sqrt(s / ds);
}

/* largest eigenvalue of C^1/2 (m^2 C0 + v C)^-1 C^1/2, those of L^-1 C L^-T */
static double stiffest(const fd_cov *C, const fd_cov *c0, fd_coef f, int n, fd_arena a)
{
    double *K = fd_raw(&a, double, n * n), *S = fd_raw(&a, double, n * n);
    double *z = fd_raw(&a, double, n);
    double *H = fd_raw(&a, double, n * n), *w = fd_raw(&a, double, n);
    double *V = fd_raw(&a, double, n * n);
    matrix_of(C, n, K, a);
    matrix_of(c0, n, S, a);
    for (int i = 0; i < n * n; i++) S[i] = f.m * f.m * S[i] + f.v * K[i];
    fd_cholesky(a.st, n, S);
    for (int j = 0; j < n; j++) {                                    /* L^-1 K L^-T, similar */
        for (int i = 0; i < n; i++) z[i] = K[i * n + j];
        fd_solve_lower(n, S, 0, z);
        for (int i = 0; i < n; i++) H[j * n + i] = z[i];
    }
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++) z[i] = H[i * n + j];
        fd_solve_lower(n, S, 0, z);
        for (int i = 0; i < n; i++) K[i * n + j] = z[i];
    }
    fd_eigen(a.st, n, K, w, V, a);
    return w[0];
}

typedef struct {
    const char *name;
    int n;
    const kernel *noise;                 /* NULL: that of the data */
    int steps, path, move, correct, noisy;
    double gamma, mean, dev;
} row;

/* the set-up of C 1.1: OU, Euler on uniform times from 6 to 0, two points */
static void cond_run(const row *r, double err[2], fd_arena a)
{
    const int n = r->n, m = 2, S = n + 2 * m;
    fd_space s = cells(&a, n);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_cov *C = r->noise ? fd_cov_kernel(&a, &s, kernel_at, r->noise) : c0;
    fd_process p = fd_ou(C, 6);
    const ptrdiff_t at[2] = { n / 4, (int)(.7 * n) };
    const double y[2] = { 1, -.5 };
    double A[2 * MOST] = { 0 }, G[4] = { r->gamma, 0, 0, r->gamma };
    double *K = fd_raw(&a, double, n * n), *my = fd_new(&a, double, n);
    double *mean = fd_new(&a, double, S), *cov = fd_new(&a, double, S * S);
    const int corrected = r->correct >= 0, steps = corrected ? 100 : r->steps;
    double *t = fd_raw(&a, double, steps + 2);
    if (a.st->code) return;
    for (int i = 0; i <= steps; i++) t[i] = 6. * (steps - i) / steps;
    if (corrected) {                           /* linspace(6,.5,51), geomspace(.5,1e-3,50)[1:], 0 */
        for (int i = 0; i <= 50; i++) t[i] = 6 - 5.5 * i / 50;
        for (int i = 1; i < 50; i++) t[50 + i] = .5 * pow(2e-3, i / 49.);
        t[100] = 0;
    }
    for (int i = 0; i < m; i++) A[i * n + at[i]] = 1;
    matrix_of(c0, n, K, a);
    krige(n, m, A, r->gamma > 0 ? G : NULL, y, my, K, a);
    fd_obs o = fd_obs_pick(&a, &s, m, at);
    if (r->gamma > 0) fd_obs_noise(&a, &o, sqrt(r->gamma));
    fd_obs bare = fd_obs_pick(&a, &s, m, at);
    fd_gain *g = fd_gain_new(&a, r->move == FLAT ? &bare : &o, C, NULL);
    cond c = { .how = { .p = &p, .t = t, .steps = steps, .scheme = FD_EULER_MARUYAMA }, .g = g,
               .o = &o, .y = y, .path = r->path, .move = r->move, .noisy = r->noisy, .n = n,
               .m = m };
    c.how.model = r->noise ? fd_oracle_kernel(&a, &p, NULL, c0) : fd_oracle_gauss(&a, &p, NULL, c0);
    if (r->move == FLAT) c.o = &bare;
    if (a.st->code) { OK(0, "%s: %s", r->name, a.st->what); return; }
    /* start: x ~ N(0, C), path: y_T = e^-3 y + .., e = L z, then the move */
    double *S0 = fd_new(&a, double, n * n);
    matrix_of(C, n, S0, a);
    for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) cov[i * S + j] = S0[i * n + j];
    double v0 = 1 - exp(-6), k0 = exp(-3);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            double q = S0[at[i] * n + at[j]] + (r->noisy && i == j ? r->gamma : 0);
            mean[n + i] = k0 * y[i];
            cov[(n + i) * S + n + j] = r->path == FD_PATH_MEAN ? 0 : v0 * q;
            cov[(n + m + i) * S + n + m + j] = r->noisy && i == j ? r->gamma : 0;
        }
    for (int k = 0; k < steps && !a.st->code; k++) {
        c.t = t[k], c.s = t[k + 1], c.h = 0;
        double bad = fd_affine_law(cond_step, &c, S, S, mean, cov, a);
        if (k == 0) NEAR(bad, 0, TOL(1e-10, 1e-4), "%s: the step is affine", r->name);
        if (!(r->correct > 0) || t[k + 1] > 1 || t[k + 1] == 0) continue;
        c.h = .2 * 2 / stiffest(C, c0, fd_law(&p, t[k + 1], 0), n, a);
        for (int i = 0; i < r->correct; i++) fd_affine_law(cond_step, &c, S, S, mean, cov, a);
    }
    errors(n, S, mean, cov, my, K, err);
}

/* the means alone, on finer grids: projected in the Cameron-Martin norm they are those of kriging,
 * in L2 those of the prior */
static void projected_means(void)
{
    static const double y[2] = { 1, -.5 };
    fd_status st;
    fd_arena all = test_arena(1 << 25, &st);
    for (int n = 64; n <= MOST; n *= 2)
        for (int flat = 0; flat < 2; flat++) {
            fd_arena a = all;
            fd_space s = cells(&a, n);
            fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
            fd_process p = fd_ou(C, 6);
            fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ n / 4, (int)(.7 * n) });
            fd_gain *g = fd_gain_new(&a, &o, C, NULL);
            fd_posterior *exact = fd_posterior_new(&a, NULL, C, &o, y);
            cond c = {
                       .how = { .p = &p, .model = fd_oracle_gauss(&a, &p, NULL, C),
                                .t = (double[]){ 6, 0 }, .steps = 1,
                                .scheme = FD_EULER_MARUYAMA }, .g = g, .o = &o, .y = y,
                                    .path = FD_PATH_BRIDGE,
                       .move = flat ? FLAT : PLAIN, .n = n, .m = 2 };
            double *x = fd_new(&a, double, n + 4), *z = fd_new(&a, double, n + 4), d = 0, size = 0;
            for (int i = 0; i < 2 && x; i++) x[n + i] = exp(-3) * y[i];
            for (int k = 0; k < 200 && !st.code; k++) {
                c.t = 6 - .03 * k, c.s = k < 199 ? 6 - .03 * (k + 1) : 0;
                cond_step(&c, 1, x, z, a);
            }
            OK(!st.code, "projection, n = %d: %s", n, st.code ? st.what : "");
            for (int i = 0; i < n && exact; i++)
                d += pow(x[i] - (double)exact->mean[i], 2), size += pow((double)exact->mean[i], 2);
            if (flat) OK(sqrt(d / size) > .9, "projection in L2, n = %d: %g", n, sqrt(d / size));
            else NEAR(sqrt(d / size), 0, TOL(1e-10, 2e-3), "projection, n = %d: mean", n);
        }
}

static void projections(void)
{
    enum { BRIDGE = FD_PATH_BRIDGE, FRESH = FD_PATH_FRESH, MEAN = FD_PATH_MEAN };
    static const row rows[] = {
        { "C = C0, n = 16", 16, NULL, 200, BRIDGE, PLAIN, -1, 0, 0, 0, .0037623107 },
        { "C = C0, n = 32", 32, NULL, 200, BRIDGE, PLAIN, -1, 0, 0, 0, .0037623107 },
        { "C = C0, K = 50", 32, NULL, 50, BRIDGE, PLAIN, -1, 0, 0, 0, .0153148686 },
        { "C = C0, flat, n = 16", 16, NULL, 200, BRIDGE, FLAT, -1, 0, 0, .89686589, .88354870 },
        { "C = C0, flat, n = 32", 32, NULL, 200, BRIDGE, FLAT, -1, 0, 0, .94929843, .98121904 },
        { "rough, n = 16", 16, &rough3, 400, BRIDGE, PLAIN, -1, 0, 0, .083475415, .016461465 },
        { "rough, n = 32, a", 32, &rough3, 400, BRIDGE, PLAIN, -1, 0, 0, .080674607, .015974735 },
        { "rough, n = 32, b", 32, &rough3, 400, FRESH, PLAIN, -1, 0, 0, .080674607, .013366272 },
        { "rough, n = 32, c", 32, &rough3, 400, MEAN, PLAIN, -1, 0, 0, .080674607, .013277948 },
        { "rough, flat", 16, &rough3, 400, BRIDGE, FLAT, -1, 0, 0, .70842143, .60968573 },
        { "noisy, C = C0", 32, NULL, 200, BRIDGE, PLAIN, -1, 1, .5, 0, .0037623107 },
        { "noisy, rough .5", 32, &rough3, 200, BRIDGE, PLAIN, -1, 1, .5, .08655904, .01094928 },
        { "noisy, rough .05", 32, &rough3, 200, BRIDGE, PLAIN, -1, 1, .05, .08282032, .01942181 },
        { "per-step Matheron .5", 32, NULL, 200, MEAN, MATHERON, -1, 0, .5, .62406719, .06468675 },
        { "damped .1, K = 200", 32, NULL, 200, MEAN, DAMPED, -1, 0, .5, .17385817, .13215246 },
        { "damped .1, K = 800", 32, NULL, 800, MEAN, DAMPED, -1, 0, .5, .48931750, .26030729 },
        { "corrected 0, rough", 32, &rough3, 0, MEAN, PLAIN, 0, 0, 0, .08220391, .02084320 },
        { "corrected 1, rough", 32, &rough3, 0, MEAN, PLAIN, 1, 0, 0, .02255727, .01100606 },
        { "corrected 5, rough", 32, &rough3, 0, MEAN, PLAIN, 5, 0, 0, .00394694, .00320043 },
        { "corrected 20, rough", 32, &rough3, 0, MEAN, PLAIN, 20, 0, 0, .00067174, .00219181 },
        { "corrected 0, smooth", 32, &smooth15, 0, MEAN, PLAIN, 0, 0, 0, .15360132, .04557716 },
        { "corrected 1, smooth", 32, &smooth15, 0, MEAN, PLAIN, 1, 0, 0, .00572461, .02937866 },
        { "corrected 5, smooth", 32, &smooth15, 0, MEAN, PLAIN, 5, 0, 0, .00056821, .02907506 },
    };
    fd_status st;
    fd_arena a = test_arena(1 << 27, &st);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double err[2] = { NAN, NAN };
        cond_run(&rows[i], err, a);
        NEAR(err[0], rows[i].mean, TOL(2e-6, 2e-3), "%s: mean", rows[i].name);
        NEAR(err[1], rows[i].dev, TOL(2e-6, 2e-3), "%s: deviation", rows[i].name);
    }
}

/* --- guidance: the table of C 1.3 --- */

/* quiet: no noise in z */
typedef struct { fd_sampler how; double t, s; int n, quiet; } plain;

static void plain_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    plain *c = self;
    const fd_cov *C = c->how.p->noise;
    const int n = c->n;
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n);
    fd_real *d = fd_raw(&a, fd_real, b * n);
    if (!d) return;
    for (int i = 0; i < b * n; i++)
        u[i] = (fd_real)x[i], xi[i] = c->quiet ? 0 : (fd_real)(sqrt(C->lam[i % n]) * z[i]);
    fd_from_modes(&C->s, b, xi, xi, a);
    fd_advance(&c->how, c->t, c->s, b, u, c->quiet ? NULL : xi, d, a);
    for (int i = 0; i < b * n; i++) x[i] = (double)u[i];
}

/* the reverse SDE with the exact conditional score ends in the law of X_t given y, up to the step's
 * length */
static void conditional_orders(void)
{
    enum { N = 8, M = 2 };
    static const double y[M] = { 1, -.7 };
    static const ptrdiff_t at[M] = { 2, 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_matern(&a, &s, 1, .3, 1.5), *C = fd_cov_matern(&a, &s, 1, .2, .5);
    fd_process p = fd_ou(C, 16);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    fd_real m0[N];
    double A[M * N] = { 0 }, G[M * M] = { .05, 0, 0, .05 }, K[N * N], my[N], S[N * N], mean[N],
        cov[N * N], e[3][2], end = .05;
    for (int i = 0; i < N; i++) my[i] = sin(6. * i / N), m0[i] = (fd_real)my[i];
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    matrix_of(c0, N, K, a), matrix_of(C, N, S, a);
    krige(N, M, A, G, y, my, K, a);
    fd_coef f = fd_law(&p, end, 0);
    for (int i = 0; i < N * N; i++) K[i] = f.m * f.m * K[i] + f.v * S[i];
    for (int i = 0; i < N; i++) my[i] *= f.m;
    plain c = {
                .how = { .p = &p,
                         .model = fd_oracle_posterior(&a, &p, 1, NULL, m0, (const fd_cov **)&c0, &o,
                                                      y),
                         .t = (double[]){ 16, end }, .steps = 1, .scheme = FD_EULER_MARUYAMA },
                             .n = N };
    for (int k = 0; k < 3; k++) {
        const int steps = 400 << k;
        memset(mean, 0, sizeof mean);
        memcpy(cov, S, sizeof cov);
        for (int i = 0; i < steps && !st.code; i++) {
            c.t = 16 + (end - 16) * i / steps, c.s = 16 + (end - 16) * (i + 1) / steps;
            fd_affine_law(plain_step, &c, N, N, mean, cov, a);
        }
        errors(N, N, mean, cov, my, K, e[k]);
    }
    OK(!st.code, "orders: %s", st.code ? st.what : "");
    for (int i = 0; i < 2; i++) {
        NEAR(log(e[1][i] / e[2][i]) / log(2), 1, TOL(.1, .15),
             "the exact conditional score: order of %s", i ? "deviation" : "mean");
        OK(e[2][i] < .03, "error of %s: %g", i ? "deviation" : "mean", e[2][i]);
    }
}

static void guidance(void)
{
    static const struct { int scheme, rule; double zeta, mean, dev, spread; } rows[] = {
        { FD_EULER_MARUYAMA, FD_GUIDE_EXACT, 1, .0007694887, .0101277272, 1.0315568 },
        { FD_EULER_MARUYAMA, FD_GUIDE_PIGDM, 1, .0387665901, .0274463712, 1.0779344 },
        { FD_EULER_MARUYAMA, FD_GUIDE_DPS, .1, .1722731799, .4267618000, 2.2420773 },
        { FD_EULER_MARUYAMA, FD_GUIDE_DPS, .2, .0435251825, .1932232188, 1.6336383 },
        { FD_EULER_MARUYAMA, FD_GUIDE_DPS, .3, .0657172042, .0929875192, 1.3418853 },
        { FD_EULER_MARUYAMA, FD_GUIDE_DPS, .5, .1012071180, .0213385796, 1.0450441 },
        { FD_EULER_MARUYAMA, FD_GUIDE_DPS, 1, .1171611669, .0874198988, .7475754391 },
        { FD_PF_EULER, FD_GUIDE_EXACT, 1, .0092204198, .0070130784, 1.0218302 },
        { FD_PF_EULER, FD_GUIDE_PIGDM, 1, .0791959870, .0447121025, 1.1356885 },
        { FD_PF_EULER, FD_GUIDE_DPS, .1, .2040093409, .2035107807, 1.6976515 },
        { FD_PF_EULER, FD_GUIDE_DPS, .2, .2343607818, .0960158721, .8915347 },
        { FD_PF_EULER, FD_GUIDE_DPS, .5, .3015074870, .2145354302, .3034204 },
        { FD_PF_EULER, FD_GUIDE_DPS, .3, .2764804887, .1701535791, .5596459 },
        { FD_PF_EULER, FD_GUIDE_DPS, 1, .2599498, .2238764, .1769197 },
    };
    enum { N = 32, M = 3, STEPS = 2000 };
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &rough2);
    fd_process p = fd_ou(C, 8);
    const ptrdiff_t at[M] = { 5, 16, 27 };
    const double y[M] = { 1.2, -.3, .4 };
    fd_real m0[N];
    double A[M * N] = { 0 }, G[M * M] = { .05, 0, 0, 0, .05, 0, 0, 0, .05 }, K[N * N], my[N];
    double start[N * N];
    static double mean[N], cov[N * N];
    for (int i = 0; i < N; i++) my[i] = sin(2 * acos(-1) * (i + .5) / N), m0[i] = (fd_real)my[i];
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    matrix_of(c0, N, K, a);
    matrix_of(C, N, start, a);
    krige(N, M, A, G, y, my, K, a);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fd_arena b = a;
        fd_guide how = { .p = &p, .model = fd_oracle_kernel(&b, &p, m0, c0), .o = &o, .y = y,
                         .rule = rows[i].rule, .zeta = rows[i].zeta };
        plain c = { .how = { .p = &p, .model = fd_guided(&b, &how), .t = (double[]){ 8, 1e-3 },
                             .steps = 1, .scheme = rows[i].scheme },
                    .n = N, .quiet = rows[i].scheme == FD_PF_EULER };
        memset(mean, 0, sizeof mean);
        memcpy(cov, start, sizeof cov);
        for (int k = 0; k < STEPS && !st.code; k++) {
            c.t = 8 + (1e-3 - 8) * k / STEPS, c.s = 8 + (1e-3 - 8) * (k + 1) / STEPS;
            fd_affine_law(plain_step, &c, N, c.quiet ? 0 : N, mean, cov, b);
        }
        double err[2], spread = 0, want = 0;
        errors(N, N, mean, cov, my, K, err);
        for (int k = 0; k < M; k++) spread += cov[at[k] * (N + 1)], want += K[at[k] * (N + 1)];
        NEAR(sqrt(spread / want), rows[i].spread, TOL(1e-6, 1e-2),
             "scheme %d, rule %d, zeta %g: spread", rows[i].scheme, rows[i].rule, rows[i].zeta);
        OK(!st.code, "guidance: %s", st.code ? st.what : "");
        NEAR(err[0], rows[i].mean, TOL(1e-6, 3e-3), "scheme %d, rule %d, zeta %g: mean",
             rows[i].scheme, rows[i].rule, rows[i].zeta);
        NEAR(err[1], rows[i].dev, TOL(1e-6, 3e-3), "scheme %d, rule %d, zeta %g: deviation",
             rows[i].scheme, rows[i].rule, rows[i].zeta);
    }
}

/* --- projected denoisers: conditional2 A1, K --- */

static void denoisers(void)
{
    static const struct {
        const char *name;
        int n, flow, steps, noisy;
        const kernel *noise;
        double tmin, mean, dev;
    } rows[] = {
        { "flow, C = C0", 16, 1, 200, 0, NULL, 0, 0, .0064064373 },
        { "flow, C = C0", 32, 1, 200, 0, NULL, 0, 0, .0064064373 },
        { "flow, rough", 16, 1, 200, 0, &rough3, 0, .0043409815, .0057118644 },
        { "flow, rough", 32, 1, 200, 0, &rough3, 0, .0046199802, .0057648696 },
        { "VP, C = C0", 16, 0, 100, 0, NULL, 1e-3, .0076519960, .0432555329 },
        { "VP, C = C0, to 0", 32, 0, 100, 0, NULL, 0, 0, .0499546142 },
        { "VP, C = C0", 32, 0, 400, 0, NULL, 1e-3, .0035407948, .0121633397 },
        { "VP, rough", 16, 0, 100, 0, &rough3, 1e-3, .0068274493, .0595706634 },
        { "VP, rough", 32, 0, 400, 0, &rough3, 1e-3, .0046417235, .0177483951 },
        { "flow, C = C0, noisy", 32, 1, 200, 1, NULL, 0, 0, .0064 } };
    static const double y[2] = { 1, -.7 };
    fd_status st;
    fd_arena all = test_arena(1 << 26, &st);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        fd_arena a = all;
        const int n = rows[r].n, m = 2, S = n + 2 * m, steps = rows[r].steps;
        fd_space s = cells(&a, n);
        fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
        fd_cov *C = rows[r].noise ? fd_cov_kernel(&a, &s, kernel_at, rows[r].noise) : c0;
        fd_process p = rows[r].flow ? fd_flow(C, 0) : fd_ou(C, 6);
        const ptrdiff_t at[2] = { n / 4, 3 * n / 4 };
        double A[2 * MOST] = { 0 }, G[4] = { .05, 0, 0, .05 }, tmax = rows[r].flow ? 1 : 6;
        double *K = fd_raw(&a, double, n * n), *my = fd_new(&a, double, n);
        double *cov = fd_new(&a, double, S * S);
        double *mean = fd_new(&a, double, S), *S0 = fd_raw(&a, double, n * n);
        fd_real *m0 = fd_new(&a, fd_real, n);
        for (int i = 0; i < n && rows[r].flow; i++)
            my[i] = sin(2 * acos(-1) * (i + .5) / n), m0[i] = (fd_real)my[i];
        for (int i = 0; i < m; i++) A[i * n + at[i]] = 1;
        matrix_of(c0, n, K, a);
        matrix_of(C, n, S0, a);
        krige(n, m, A, rows[r].noisy ? G : NULL, y, my, K, a);
        fd_obs o = fd_obs_pick(&a, &s, m, at);
        if (rows[r].noisy) fd_obs_noise(&a, &o, sqrt(.05));
        cond c = { .how = { .p = &p, .scheme = FD_DDIM, .t = (double[]){ 1, 0 }, .steps = 1 },
                   .o = &o, .y = y, .g = fd_gain_new(&a, &o, C, NULL), .denoised = 1,
                   .noisy = rows[r].noisy, .n = n, .m = m };
        c.how.model = rows[r].noise ? fd_oracle_kernel(&a, &p, m0, c0)
                                    : fd_oracle_gauss(&a, &p, m0, c0);
        for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) cov[i * S + j] = S0[i * n + j];
        for (int i = 0; i < m && rows[r].noisy; i++) cov[(n + m + i) * (S + 1)] = .05;
        double err[2];
        for (int k = 0; k < steps && !st.code; k++) {
            c.t = tmax + (rows[r].tmin - tmax) * k / steps,
            c.s = tmax + (rows[r].tmin - tmax) * (k + 1) / steps;
            fd_affine_law(cond_step, &c, S, S, mean, cov, a);
        }
        errors(n, S, mean, cov, my, K, err);
        OK(!st.code, "%s: %s", rows[r].name, st.code ? st.what : "");
        NEAR(err[0], rows[r].mean, TOL(1e-6, 3e-3), "projected denoiser, %s, n = %d: mean",
             rows[r].name, n);
        NEAR(err[1], rows[r].dev, rows[r].noisy ? 5e-5 : TOL(1e-6, 3e-3),
             "projected denoiser, %s, n = %d: deviation", rows[r].name, n);
    }
}

/* by heat, whose m and v are those of the mode: guidance through a whole sampler */
static void heat_samplers(void)
{
    enum { N = 12, M = 2 };
    static const double y[M] = { 1, -.7 };
    static const ptrdiff_t at[M] = { 3, 9 };
    static const struct { int rule; double zeta; } rows[] = { { FD_GUIDE_EXACT, 1 },
        { FD_GUIDE_DPS, .3 } };
    fd_status st;
    fd_arena all = test_arena(1 << 25, &st);
    fd_space s = cells(&all, N);
    fd_cov *c0 = fd_cov_matern(&all, &s, 1, .3, 1.5), *C = fd_cov_matern(&all, &s, 2, .2, .5);
    fd_process p = fd_heat(C, 1, .02, NULL, NULL, 8);
    fd_obs o = fd_obs_pick(&all, &s, M, at);
    fd_obs_noise(&all, &o, sqrt(.05));
    double A[M * N] = { 0 }, G[M * M] = { .05, 0, 0, .05 }, K[N * N], B[N * N], V[N * N],
        my[N] = { 0 }, mean[N], cov[N * N];
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    matrix_of(c0, N, K, all);
    krige(N, M, A, G, y, my, K, all);
    modal_law(&p, 8, B, V, all);
    for (int r = 0; r < 2; r++) {
        double err[2][2];
        for (int fine = 0; fine < 2; fine++) {
            const int steps = fine ? 160 : 80;
            fd_guide how = { .p = &p, .model = fd_oracle_gauss(&all, &p, NULL, c0), .o = &o, .y = y,
                             .rule = rows[r].rule, .zeta = rows[r].zeta };
            plain g = {
                        .how = { .p = &p, .model = fd_guided(&all, &how),
                                 .t = (double[]){ 8, 1e-3 }, .steps = 1, .scheme = FD_ANCESTRAL },
                .n = N };
            memset(mean, 0, sizeof mean);
            memcpy(cov, V, sizeof V);
            for (int k = 0; k < steps && !st.code; k++) {
                g.t = 8 * pow(1e-3 / 8, (double)k / steps), g.s = 8
                    * pow(1e-3 / 8, (k + 1.) / steps);
                fd_affine_law(plain_step, &g, N, N, mean, cov, all);
            }
            errors(N, N, mean, cov, my, K, err[fine]);
        }
        OK(!st.code, "heat: %s", st.code ? st.what : "");
        if (rows[r].rule == FD_GUIDE_EXACT)
            OK(err[1][0] < .005 && err[1][1] < .03 && err[1][1] < .6 * err[0][1], "heat: %g, %g",
               err[1][0], err[1][1]);
        else OK(err[1][0] > .05 && err[1][0] < .4, "DPS by heat, biased: %g, %g", err[1][0],
                err[1][1]);
    }
}

/* --- Langevin dynamics: C 1.5, O6 --- */

typedef struct {
    const fd_process *p;
    const fd_cov *c;
    fd_model m;
    fd_potential phi;
    const fd_real *mean;
    double t, h, w;
    int implicit;
} lang;

static void lang_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    lang *l = self;
    const int n = (int)fd_size(&l->c->s);
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n);
    if (!xi) return;
    for (int i = 0; i < b * n; i++)
        u[i] = (fd_real)x[i], xi[i] = (fd_real)(sqrt(l->c->lam[i % n]) * z[i]);
    fd_from_modes(&l->c->s, b, xi, xi, a);
    if (l->implicit) fd_langevin_implicit(l->c, l->mean, &l->phi, l->h, b, u, xi, a);
    else fd_langevin(l->p, &l->m, &l->phi, l->t, l->h, l->w, b, u, xi, a);
    for (int i = 0; i < b * n; i++) x[i] = (double)u[i];
}

/* root = K^1/2, by V^T sqrt V; returns lambda_max(K^1/2 P K^1/2). */
static double largest(const double *K, const double *P, double *root, fd_arena a)
{
    enum { N = 16 };
    double T[N * N], U[N * N], w[N];
    fd_eigen(a.st, N, (memcpy(T, K, sizeof T), T), w, U, a);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            root[i * N + j] = 0;
            for (int k = 0; k < N; k++)
                root[i * N + j] += U[k * N + i] * sqrt(fmax(0, w[k])) * U[k * N + j];
        }
    times(N, root, P, T), times(N, T, root, U);
    for (int i = 0; i < N; i++) for (int j = 0; j < i; j++) U[i * N + j] = U[j * N + i];
    fd_eigen(a.st, N, U, w, T, a);
    return w[0];
}

/* The covariance of the exact stationary law. */
static void stationary(const lang *l, const double *K, const double *P, const double *root,
                       const ptrdiff_t *at, double *cov, fd_arena a)
{
    enum { N = 16, M = 3 };
    double T[N * N], U[N * N];
    memcpy(cov, P, N * N * sizeof *cov);
    if (!l->implicit) {                                       /* (P - h/2 P K P)^-1 */
        times(N, P, K, T), times(N, T, P, U);
        for (int i = 0; i < N * N; i++) cov[i] -= .5 * l->h * U[i];
        for (int i = 0; i < N; i++)
            for (int j = 0; j < i; j++) cov[i * N + j] = cov[j * N + i];
        inverse(N, cov, a);
    } else {                                       /* K^1/2 ((1 + B)(1 - h B/2))^-1 K^1/2 */
        double B[N * N];
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                B[i * N + j] = 0;
                for (int k = 0; k < M; k++)
                    B[i * N + j] += root[i * N + at[k]] * root[at[k] * N + j] / .05;
            }
        times(N, B, B, T);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                U[i * N + j] = (i == j) + B[i * N + j] * (1 - .5 * l->h)
                               - .5 * l->h * T[i * N + j];
        for (int i = 0; i < N; i++) for (int j = 0; j < i; j++) U[i * N + j] = U[j * N + i];
        inverse(N, U, a);
        times(N, root, U, T), times(N, T, root, cov);
    }
}

/* One step does not move the stationary law, N(wm, was); many do so beyond h_max alone. */
static void langevin_holds(lang *l, int rough, int half, double hmax, const double *wm,
                           const double *was, fd_arena a)
{
    enum { N = 16 };
    double mean[N], cov[N * N];
    memcpy(mean, wm, sizeof mean);
    memcpy(cov, was, sizeof cov);
    double bad = fd_affine_law(lang_step, l, N, N, mean, cov, a), top = 0;
    for (int i = 0; i < N * N; i++) top = fmax(top, fabs(was[i]));
    NEAR(bad, 0, TOL(1e-10, 1e-4), "the step is affine");
    for (int i = 0; i < N; i++) {
        NEAR(mean[i], wm[i], TOL(1e-9, 2e-3), "Langevin %d %d: stationary mean", rough, half);
        for (int j = 0; j < N; j++)
            NEAR(cov[i * N + j], was[i * N + j], TOL(1e-8, 5e-3) * top,
                 "Langevin %d %d: stationary covariance", rough, half);
    }
    for (int k = 0; k < 2; k++) {                            /* at the edge of stability */
        l->h = (k ? 1.02 : .98) * hmax;
        memcpy(cov, was, sizeof cov);
        for (int i = 0; i < 4000; i++) fd_affine_law(lang_step, l, N, N, mean, cov, a);
        double tr = 0, tr0 = 0;
        for (int i = 0; i < N; i++) tr += cov[i * (N + 1)], tr0 += was[i * (N + 1)];
        OK(k ? !(tr < 1e6 * tr0) : tr < 1e3 * tr0,
           "Langevin %d %d: stability at %g h_max: %g", rough, half, k ? 1.02 : .98,
           tr / tr0);
    }
}

static void langevin(void)
{
    enum { N = 16, M = 3 };
    static const double y[M] = { 1.2, -.3, .4 };
    static const ptrdiff_t at[M] = { N / 5, N / 2, 4 * N / 5 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    double K0[N * N], S[N * N], P[N * N], root[N * N], cov[N * N], mean[N], wm[N];
    fd_real m0[N];
    for (int i = 0; i < N; i++) m0[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / N);
    for (int rough = 0; rough < 2; rough++)
        for (int half = 0; half < 3; half++) {
            fd_arena b = a;
            fd_cov *C = rough ? fd_cov_kernel(&b, &s, kernel_at, &rough3) : c0;
            fd_process p = fd_ou(C, 6);
            lang l = { .p = &p, .c = C, .phi = fd_obs_potential(&b, &o, y), .t = .1,
                       .w = half == 2 ? .7 : 1, .mean = m0, .implicit = half == 1 };
            l.m = rough ? fd_oracle_kernel(&b, &p, m0, c0) : fd_oracle_gauss(&b, &p, m0, c0);
            if (l.implicit && rough) continue;
            double tau = l.implicit ? 0 : l.t, al = exp(-.5 * tau), sg = 1 - exp(-tau);
            matrix_of(c0, N, S, b);
            matrix_of(C, N, K0, b);
            for (int i = 0; i < N * N; i++) S[i] = al * al * S[i] + sg * K0[i];
            memcpy(P, S, sizeof P);
            inverse(N, P, b);
            for (int i = 0; i < N; i++) {                     /* w S^-1 alpha m0 + A^T Gamma^-1 y */
                wm[i] = 0;
                for (int j = 0; j < N; j++) wm[i] += l.w * P[i * N + j] * al * (double)m0[j];
            }
            for (int i = 0; i < N * N; i++) P[i] *= l.w;
            for (int i = 0; i < M; i++) P[at[i] * (N + 1)] += 1 / .05, wm[at[i]] += y[i] / .05;
            const double most = largest(K0, P, root, b);
            double hmax = 2 / (l.implicit ? most - 1 : most);        /* lambda_max(B) = most - 1 */
            l.h = .5 * hmax;
            stationary(&l, K0, P, root, at, cov, b);
            inverse(N, P, b);
            for (int i = 0; i < N; i++) {
                mean[i] = 0;
                for (int j = 0; j < N; j++) mean[i] += P[i * N + j] * wm[j];
            }
            langevin_holds(&l, rough, half, hmax, mean, cov, b);
        }
    OK(!st.code, "status");
    fd_real big[N];
    for (int i = 0; i < N; i++) big[i] = 1;
    fd_potential phi = fd_obs_potential(&a, &o, y);
    for (int i = 0; i < 2000 && !st.code; i++)
        fd_langevin_implicit(c0, NULL, &phi, 10, 1, big, NULL, a);
    OK(st.code == FD_ENAN, "a step that is too long is said");
}

/* one step without noise in the modes of C, each over sqrt(lam): symmetric, I - h K^1/2 P K^1/2 */
static void lang_modes(lang *l, int n, double *S, fd_arena a)
{
    fd_real *u = fd_new(&a, fd_real, n * n);
    for (int k = 0; k < n && u; k++) u[k * n + k] = (fd_real)sqrt(l->c->lam[k]);
    fd_from_modes(&l->c->s, n, u, u, a);
    if (u) fd_langevin(l->p, &l->m, &l->phi, l->t, l->h, l->w, n, u, NULL, a);
    fd_to_modes(&l->c->s, n, u, u, a);
    for (int k = 0; k < n * n && u; k++) S[k] = (double)u[k] / sqrt(l->c->lam[k % n]);
    for (int i = 0; i < n && u; i++)
        for (int j = 0; j < i; j++)
            S[i * n + j] = S[j * n + i] = .5 * (S[i * n + j] + S[j * n + i]);
}

/* h_max and the condition number of P for a kind of noise on n points. */
static void langevin_grid(int kind, int n, const double want[2])
{
    static const double y[3] = { 0 };
    fd_status st;
    fd_arena a = test_arena(1 << 25, &st);
    fd_space s = cells(&a, n);
    double *lam = fd_raw(&a, double, n), *S = fd_raw(&a, double, n * n),
        *w = fd_raw(&a, double, n);
    double *V = fd_raw(&a, double, n * n);
    for (int i = 0; i < n; i++) lam[i] = 1. / n;
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_cov *c = kind == 0 ? c0 : kind == 1 ? fd_cov_table(&a, &s, lam)
                                           : fd_cov_kernel(&a, &s, kernel_at, &rough3);
    fd_process p = fd_ou(c, 6);
    fd_obs o = fd_obs_pick(&a, &s, 3, (ptrdiff_t[]){ n / 5, n / 2, 4 * n / 5 });
    fd_obs_noise(&a, &o, sqrt(.05));
    lang l = { .p = &p, .c = c, .phi = fd_obs_potential(&a, &o, y), .t = 1e-3, .w = 1,
               .h = want[0] };
    l.m = kind ? fd_oracle_kernel(&a, &p, NULL, c0) : fd_oracle_gauss(&a, &p, NULL, c0);
    lang_modes(&l, n, S, a);
    fd_eigen(&st, n, S, w, V, a);
    OK(!st.code, "Langevin on meshes: %s", st.code ? st.what : "");
    /* the last eigenvalue is 1 - h lambda_max = -1 */
    NEAR(w[n - 1], -1, TOL(1e-7, 2e-3), "h_max of noise %d, n = %d", kind, n);
    NEAR((1 - w[n - 1]) / (1 - w[0]), want[1], TOL(1e-6, .1) * want[1],
         "condition of noise %d, n = %d", kind, n);
    test_free();
}

/* The error of the deviation, relative to sd, for the covariance T of coordinates. */
static double deviation_missed(const fd_cov *c0, const double *T, const fd_real *sd, fd_arena a)
{
    enum { N = 32 };
    fd_real u[N], e[N * N];
    double miss = 0, all = 0;
    memset(e, 0, sizeof e);
    for (int i = 0; i < N; i++) e[i * N + i] = (fd_real)sqrt(c0->lam[i]);
    fd_from_modes(&c0->s, N, e, e, a);
    for (int i = 0; i < N; i++) {
        double v = 0;
        for (int j = 0; j < N; j++)
            for (int q = 0; q < N; q++)
                v += T[j * N + q] * (double)e[j * N + i] * (double)e[q * N + i];
        u[i] = (fd_real)sqrt(v);
        miss += pow((double)u[i] - (double)sd[i], 2), all += pow((double)sd[i], 2);
    }
    return sqrt(miss / all);
}

/* h_max and the condition number of P, C 1.5's table; then tau annealed from 1 to 1e-3, 2^7 steps
 * of a part of h_max on each of 10 levels (2^10, 50): the error of the deviation */
static void langevin_mesh(void)
{
    static const double want[3][4][2] = {
        { { .0533469496, 37.490428501 }, { .0549907381, 36.369760962 },
          { .0557846769, 35.852139166 }, { .0554135630, 36.092246949 } },
        { { .0096928298, 196.36855433 }, { .0029700903, 1129.5657782 },
          { .0021172995, 2994.8215743 }, { .0020032023, 6472.0273128 } },
        { { .0566337746, 28.259739018 }, { .0207799108, 79.229207845 },
          { .0066942719, 248.96221137 }, { .0031725393, 531.27249606 } } };
    static const struct { double part; int levels, doubled; double miss; } anneal[3] = {
        { .5, 10, 7, .07536216 }, { .1, 10, 7, .01026325 }, { .02, 50, 10, .00194337 } };
    static const double y[3] = { 0 };
    fd_status st;
    for (int kind = 0; kind < 3; kind++)
        for (int k = 0; k < 4; k++) langevin_grid(kind, 16 << k, want[kind][k]);
    enum { N = 32 };
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_process p = fd_ou(c0, 6);
    fd_obs o = fd_obs_pick(&a, &s, 3, (ptrdiff_t[]){ N / 5, N / 2, 4 * N / 5 });
    fd_obs_noise(&a, &o, sqrt(.05));
    static double S[N * N], w[N], V[N * N], F[N * N], Q[N * N], C[N * N], T[N * N], U[N * N];
    fd_posterior *post = fd_posterior_new(&a, NULL, c0, &o, y);
    fd_real sd[N];
    fd_posterior_std(post, sd, a);
    for (int k = 0; k < 3; k++) {
        for (int level = 0; level < anneal[k].levels; level++) {
            lang l = { .p = &p, .c = c0, .phi = fd_obs_potential(&a, &o, y), .w = 1, .h = 1e-3,
                       .t = pow(10, -3. * level / (anneal[k].levels - 1)),
                       .m = fd_oracle_gauss(&a, &p, NULL, c0) };
            lang_modes(&l, N, S, a);
            fd_eigen(&st, N, S, w, V, a);
            l.h = anneal[k].part * 2 / ((1 - w[N - 1]) / l.h);
            /* in these coordinates the noise is 2h I */
            lang_modes(&l, N, F, a);
            memset(Q, 0, sizeof Q);
            for (int i = 0; i < N; i++) Q[i * (N + 1)] = 2 * l.h;
            if (level == 0)                                  /* from the prior, noised */
                for (int i = 0; i < N * N; i++) C[i] = i % (N + 1) == 0;
            for (int i = 0; i < anneal[k].doubled; i++) {
                times(N, F, Q, T), times(N, T, F, U);
                for (int j = 0; j < N * N; j++) Q[j] += U[j];
                times(N, F, F, T), memcpy(F, T, sizeof F);
            }
            times(N, F, C, T), times(N, T, F, C);
            for (int i = 0; i < N * N; i++) C[i] += Q[i];
        }
        const double missed = deviation_missed(c0, C, sd, a);
        NEAR(missed, anneal[k].miss, TOL(1e-7, 2e-4), "annealed Langevin, %g h_max",
             anneal[k].part);
    }
    OK(!st.code, "annealed Langevin: %s", st.code ? st.what : "");
}

/* --- chains: C 3, O10 --- */

static void mcmc_acceptance(void)
{
    static const double accept[3] = { .68795, .68826, .68828 }, walk[3] = { .507, .222, .026 };
    enum { STEPS = 20000 };
    fd_status st;
    for (int k = 0; k < 3; k++)
        for (int kind = 0; kind < 2; kind++) {
            fd_arena a = test_arena(1 << 24, &st);
            int n = k == 0 ? 8 : k == 1 ? 32 : 128;
            fd_space s = cells(&a, n);
            fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
            fd_real *one = fd_raw(&a, fd_real, n);
            double *said = fd_raw(&a, double, STEPS), y = 1.2;
            for (int i = 0; i < n; i++) one[i] = 1;
            fd_obs o = fd_obs_functions(&a, &s, 1, one);
            fd_obs_noise(&a, &o, sqrt(.1));
            fd_mcmc how = { .prior = c0, .phi = fd_obs_potential(&a, &o, &y),
                            .kind = kind ? FD_MCMC_WALK : FD_MCMC_PCN, .h = .4 };
            fd_real *x0 = fd_raw(&a, fd_real, n);
            fd_posterior *post = fd_posterior_new(&a, NULL, c0, &o, &y);
            fd_posterior_draw(post, fd_seed(11), 0, 1, x0, a);
            fd_chain *c = fd_chain_begin(&a, &how, fd_seed(5), 0, x0);
            for (int i = 0; i < STEPS && c; i++) said[i] = fd_chain_step(c, a);
            double tau = fd_iact(STEPS, said, a), rate = c ? (double)c->accepted / STEPS : 0;
            double q = kind ? walk[k] : accept[k], mcse = sqrt(q * (1 - q) * fmax(1, tau) / STEPS);
            OK(!st.code, "chain: %s", st.code ? st.what : "");
            NEAR(rate, q, 4 * mcse + (kind ? .03 : 1e-4), "%s, n = %d: acceptance",
                 kind ? "random walk" : "pCN", n);
            test_free();
        }
}

/* chains that start in the exact posterior stay there: chi^2 of the whitened state */
static void mcmc_invariance(void)
{
    static const struct { int kind; double h; int leaps; } rows[] = {
        { FD_MCMC_PCN, .4, 0 }, { FD_MCMC_MALA, .25, 0 }, { FD_MCMC_HMC, .35, 3 },
        { FD_MCMC_SLICE, 0, 0 }, { FD_MCMC_WALK, .2, 0 } };
    enum { N = 8, M = 3, B = 6000, STEPS = 4 };
    static const double y[M] = { 1.2, -.3, .4 };
    static const ptrdiff_t at[M] = { 1, 4, 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &rough3);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, .5);
    fd_real m0[N];
    double A[M * N] = { 0 }, G[M * M] = { .25, 0, 0, 0, .25, 0, 0, 0, .25 }, K[N * N], my[N];
    for (int i = 0; i < N; i++) my[i] = cos(3. * i / N), m0[i] = (fd_real)my[i];
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    matrix_of(c0, N, K, a);
    krige(N, M, A, G, y, my, K, a);
    fd_cholesky(&st, N, K);
    fd_posterior *p = fd_posterior_new(&a, m0, c0, &o, y);
    fd_real *x = fd_raw(&a, fd_real, B * N);
    fd_posterior_draw(p, fd_seed(21), 0, B, x, a);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        double chi = 0, first[N] = { 0 }, moved = 0;
        for (int b = 0; b < B; b++) {
            fd_arena own = a;
            fd_mcmc how = { .prior = c0, .mean = m0, .phi = fd_obs_potential(&own, &o, y),
                            .kind = rows[r].kind, .h = rows[r].h, .leaps = rows[r].leaps };
            fd_chain *c = fd_chain_begin(&own, &how, fd_seed(100 + r), b, x + b * N);
            fd_real end[N];
            double z[N];
            for (int k = 0; k < STEPS; k++) moved += fd_chain_step(c, own);
            fd_chain_get(c, end);
            for (int i = 0; i < N; i++) z[i] = (double)end[i] - my[i];
            fd_solve_lower(N, K, 0, z);
            for (int i = 0; i < N; i++) chi += z[i] * z[i] / B, first[i] += z[i] / B;
        }
        OK(!st.code, "kind %d: %s", rows[r].kind, st.code ? st.what : "");
        OK(moved > .2 * B * STEPS, "kind %d moves: %g", rows[r].kind, moved / B / STEPS);
        NEAR(chi, N, 4.5 * sqrt(2. * N / B), "kind %d: chi^2", rows[r].kind);
        for (int i = 0; i < N; i++)
            NEAR(first[i], 0, 4.5 / sqrt(B), "kind %d: mean of component %d", rows[r].kind, i);
    }
}

/* y_i = x^2 at three points */
static void squares(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                    fd_arena a)
{
    (void)self, (void)a;
    for (int i = 0; i < 3 * b; i++) y[i] = pow((double)x[i / 3 * s->points + 2 * (i % 3)], 2);
}

static void squares_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                              const double *w, fd_real *g, fd_arena a)
{
    (void)self, (void)a;
    memset(g, 0, (size_t)(b * s->points) * sizeof *g);
    for (int i = 0; i < 3 * b; i++) {
        ptrdiff_t at = i / 3 * s->points + 2 * (i % 3);
        g[at] = (fd_real)(2 * (double)x[at] * w[i]);
    }
}

/* of the derivative at another function */
static void squares_wrong(const void *self, const fd_space *s, int b, const fd_real *x,
                          const double *w, fd_real *g, fd_arena a)
{
    (void)x;
    squares_transpose(NULL, s, b, self, w, g, a);
}

/* p -= h/2 K grad, rotation, p -= h/2 K grad; for inf-MALA the proposal v and its p. */
static void leap(int kind, double h, const double *K, const double *y, const double *u,
                 const double *xi, double *v, double *p)
{
    enum { N = 6, M = 3 };
    double q[N];
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < N; i++) {
            q[i] = 0;
            for (int j = 0; j < 2 * M; j += 2)
                q[i] += K[i * N + j] * 2 * v[j] * (v[j] * v[j] - y[j / 2]) / .25;
        }
        if (kind == FD_MCMC_MALA) {
            for (int i = 0; i < N && !half; i++)
                v[i] = ((2 - h) * u[i] - 2 * h * q[i] + sqrt(8 * h) * xi[i]) / (2 + h);
            for (int i = 0; i < N && half; i++) p[i] = q[i];
            continue;
        }
        for (int i = 0; i < N; i++) p[i] -= .5 * h * q[i];
        for (int i = 0; i < N && !half; i++) {
            double w = v[i];
            v[i] = cos(h) * w + sin(h) * p[i], p[i] = cos(h) * p[i] - sin(h) * w;
        }
    }
}

/* the acceptance ratios of inf-MALA and inf-HMC against the finite-dimensional ones, for a
 * nonlinear F */
static void mcmc_ratios(void)
{
    enum { N = 6, M = 3, LEAPS = 3 };
    static const double y[M] = { .7, .2, 1.1 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, N);
    fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &rough3);
    fd_obs o = { .s = s, .m = M, .apply = squares, .transpose = squares_transpose };
    fd_obs_noise(&a, &o, .5);
    fd_real x0[N], other[N];
    fd_cov_draw(C, fd_seed(2), 0, 1, x0, a);
    for (int i = 0; i < N; i++) other[i] = x0[i] / 2;
    /* by |<w, dF>|/2 over |dF|, which is small for one w in a hundred */
    int seen = 0;
    for (int i = 0; i < 5; i++) {
        NEAR(fd_obs_check(&o, x0, fd_seed((uint64_t)i), a), 0, TOL(1e-10, 1e-3),
             "a transpose that is right");
        fd_obs bad = { .s = s, .m = M, .apply = squares, .transpose = squares_wrong,
                       .self = other };
        seen += fd_obs_check(&bad, x0, fd_seed((uint64_t)i), a) > .01;
    }
    OK(seen >= 4, "one at the wrong place is seen by %d of 5", seen);
    double K[N * N] = { 0 }, Q[N * N];
    matrix_of(C, N, K, a);
    memcpy(Q, K, sizeof Q);
    inverse(N, Q, a);
    for (int kind = FD_MCMC_MALA; kind <= FD_MCMC_HMC; kind++)
        for (int id = 0; id < 5; id++) {
            fd_arena b = a;
            fd_mcmc how = { .prior = C, .phi = fd_obs_potential(&b, &o, y), .kind = kind, .h = .4,
                            .leaps = LEAPS };
            fd_chain *c = fd_chain_begin(&b, &how, fd_seed(6), id, x0);
            fd_real draw[N];
            double u[N], v[N], p[N], xi[N], want = 0, h = .4, phi[2] = { 0, 0 };
            fd_cov_draw(C, fd_stream(fd_seed(6), 'k', 0), id, 1, draw, b);
            for (int i = 0; i < N; i++) u[i] = v[i] = (double)x0[i], p[i] = xi[i] = (double)draw[i];
            fd_chain_step(c, b);
            for (int k = 0; k < (kind == FD_MCMC_HMC ? LEAPS : 1); k++)
                leap(kind, h, K, y, u, xi, v, p);
            for (int j = 0; j < M; j++) {
                phi[0] += pow(u[2 * j] * u[2 * j] - y[j], 2) / .5;
                phi[1] += pow(v[2 * j] * v[2 * j] - y[j], 2) / .5;
            }
            want = phi[0] - phi[1];
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) {
                    /* the prior */
                    want += .5 * Q[i * N + j] * (u[i] * u[j] - v[i] * v[j]);
                    if (kind == FD_MCMC_HMC)
                        want += .5 * Q[i * N + j] * (xi[i] * xi[j] - p[i] * p[j]);
                    /* log q(v -> u) - log q(u -> v) */
                    else {
                        double bi = (2 + h) * u[i] - (2 - h) * v[i] + 2 * h * p[i];
                        double bj = (2 + h) * u[j] - (2 - h) * v[j] + 2 * h * p[j];
                        want += .5 * Q[i * N + j] * (xi[i] * xi[j] - bi * bj / (8 * h));
                    }
                }
            OK(!st.code && c, "ratios: %s", st.code ? st.what : "");
            NEAR(c ? c->ratio : NAN, want, TOL(1e-10, 2e-4) * (1 + fabs(want)),
                 "kind %d: log of the ratio", kind);
        }
}

/* the joint law of Geweke: y | u and one step of the chain in turn leave the prior of u; with noise
 * in y that the chain does not know of they do not: what has a gradient sees that most */
static void mcmc_geweke(void)
{
    enum { N = 4, STEPS = 12000 };
    static const struct { int kind; double h; int leaps; double more; } rows[] = {
        { FD_MCMC_PCN, .7, 0, 1 }, { FD_MCMC_MALA, .4, 0, 1 }, { FD_MCMC_HMC, .6, 2, 1 },
            { FD_MCMC_SLICE, 0, 0, 1 },
        { FD_MCMC_MALA, .4, 0, 2 } };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, N);
    fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 0, 3 }), with;
    fd_real x[N], m0[N] = { 1, 0, -1, .5 };
    double y[2], *z = fd_raw(&a, double, 2 * STEPS);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        double worst = 0;
        fd_obs_noise(&a, &o, .5);
        with = o, with.sd = .5 * rows[r].more;
        fd_cov_draw(C, fd_seed(1), 0, 1, x, a);
        for (int k = 0; k < STEPS && !st.code; k++) {
            fd_arena b = a;
            fd_rng own = fd_stream(fd_stream(fd_seed(7), 'r', (uint32_t)r), 'g', (uint32_t)k);
            fd_obs_draw(&with, own, 0, 1, x, y, b);
            fd_mcmc how = { .prior = C, .mean = m0, .phi = fd_obs_potential(&b, &o, y),
                            .kind = rows[r].kind, .h = rows[r].h,
                            .leaps = rows[r].leaps };
            fd_chain *c = fd_chain_begin(&b, &how, own, 0, x);
            fd_chain_step(c, b);
            fd_chain_get(c, x);
            z[k] = (double)x[3] - .5, z[STEPS + k] = z[k] * z[k] - 1;
        }
        OK(!st.code, "Geweke: %s", st.code ? st.what : "");
        for (int f = 0; f < 2; f++) {
            double mean = 0, sq = 0;
            for (int k = 0; k < STEPS; k++) mean += z[f * STEPS + k] / STEPS;
            for (int k = 0; k < STEPS; k++) sq += pow(z[f * STEPS + k] - mean, 2) / STEPS;
            worst = fmax(worst,
                         fabs(mean) / sqrt(sq * fmax(1, fd_iact(STEPS, z + f * STEPS, a)) / STEPS));
        }
        OK(rows[r].more > 1 ? worst > 10 : worst < 4,
           "Geweke, kind %d, noise times %g: %g standard errors", rows[r].kind, rows[r].more,
           worst);
    }
}

/* ranks of the truth among a chain's draws are uniform; not so where the chain believes in half the
 * noise */
static void mcmc_ranks(void)
{
    enum { N = 6, TRUTHS = 300, DRAWS = 15, BINS = 8 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, N);
    fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 1, 4 }), half;
    fd_obs_noise(&a, &o, .5);
    half = o, half.sd = .25;
    for (int wrong = 0; wrong < 2; wrong++) {
        double bins[BINS] = { 0 }, chi = 0;
        for (int k = 0; k < TRUTHS && !st.code; k++) {
            fd_arena b = a;
            fd_real u[N], x[N];
            double y[2];
            int rank = 0;
            fd_cov_draw(C, fd_seed(3), k, 1, u, b);
            fd_obs_draw(&o, fd_seed(4), k, 1, u, y, b);
            fd_mcmc how = { .prior = C, .phi = fd_obs_potential(&b, wrong ? &half : &o, y),
                            .kind = FD_MCMC_PCN, .h = .6 };
            fd_chain *c = fd_chain_begin(&b, &how, fd_seed(5), k, NULL);
            for (int i = 0; i < 60; i++) fd_chain_step(c, b);
            for (int i = 0; i < DRAWS; i++) {
                for (int j = 0; j < 10; j++) fd_chain_step(c, b);
                fd_chain_get(c, x);
                rank += x[1] < u[1];
            }
            bins[rank * BINS / (DRAWS + 1)]++;
        }
        for (int i = 0; i < BINS; i++)
            chi += pow(bins[i] - TRUTHS / (double)BINS, 2) / (TRUTHS / (double)BINS);
        /* p = .001 */
        OK(!st.code && (wrong ? chi > 45 : chi < 24.3),
           "ranks of pCN, wrong %d: chi^2 %g, 7 degrees", wrong, chi);
    }
}

/* A chain that goes on has the same bits; it adapts, and no longer after burn-in. */
static void mcmc_resumed(const fd_cov *c0, const fd_obs *o, const double *y, fd_arena a)
{
    enum { N = 6 };
    for (int kind = FD_MCMC_PCN; kind <= FD_MCMC_WALK; kind++) {
        fd_arena b = a;
        fd_real keep[N], mean[N] = { .3, 0, -.4 };
        fd_mcmc how = { .prior = c0, .phi = fd_obs_potential(&b, o, y), .kind = kind, .h = .3,
                        .leaps = 2, .adapt = 30 };
        if (kind != FD_MCMC_WALK) how.mean = mean;
        fd_chain *one = fd_chain_begin(&b, &how, fd_seed(8), 2, NULL), state;
        for (int i = 0; i < 20; i++) fd_chain_step(one, b);
        state = *one;
        memcpy(keep, one->u, sizeof keep);
        for (int i = 0; i < 20; i++) fd_chain_step(one, b);
        fd_chain *two = fd_chain_resume(&b, &how, fd_seed(8), 2, keep, state.k, state.h,
                                        state.accepted, state.calls);
        OK(two && two->phi == state.phi, "kind %d: Phi of a chain that goes on", kind);
        for (int i = 0; i < 20; i++) fd_chain_step(two, b);
        OK(!memcmp(one->u, two->u, sizeof keep) && one->h == two->h
           && one->accepted == two->accepted && one->calls == two->calls && one->k == two->k
           && one->phi == two->phi, "kind %d resumed", kind);
        if (kind != FD_MCMC_SLICE) OK(one->h != how.h, "kind %d adapts", kind);
        double h = one->h;
        for (int i = 0; i < 20; i++) fd_chain_step(one, b);
        OK(one->h == h, "kind %d no longer adapts after burn-in", kind);
    }
}

/* Diagnostics on independent numbers, and on chains that disagree. */
static void diagnostics(fd_arena a)
{
    enum { CHAINS = 4, LEN = 2000 };
    fd_real *z = fd_raw(&a, fd_real, CHAINS * LEN);
    double *w = fd_raw(&a, double, CHAINS * LEN);
    fd_normal(fd_seed(6), CHAINS * LEN, z);
    for (int i = 0; i < CHAINS * LEN; i++) w[i] = (double)z[i];
    NEAR(fd_rhat(CHAINS, LEN, w, a), 1, .003, "R-hat of independent numbers");
    NEAR(fd_ess(CHAINS, LEN, w, a), CHAINS * LEN, .12 * CHAINS * LEN, "ESS of independent numbers");
    NEAR(fd_iact(LEN, w, a), 1, .15, "time of independent numbers");
    for (int i = 0; i < LEN; i++) w[i] += 1;
    /* W = 1, B/n = variance of the 8 half means: two of 8 at 1: 8/7 (1/4 - 1/16) = 3/14 */
    NEAR(fd_rhat(CHAINS, LEN, w, a), sqrt(1 + 3. / 14), .02, "R-hat of chains that disagree");
    OK(fd_ess(CHAINS, LEN, w, a) < .2 * CHAINS * LEN, "ESS of chains that disagree");
    for (int i = 0; i < LEN; i++) w[i] = i;
    OK(fd_rhat(1, LEN, w, a) > 1.5, "split R-hat sees a trend");
    OK(isnan(fd_iact(3, w, a)) && isnan(fd_rhat(1, 7, w, a)) && isnan(fd_ess(0, 10, w, a)),
       "too few numbers");
}

static void mcmc_rest(void)
{
    enum { N = 6, STEPS = 60000 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_matern(&a, &s, 1, .3, 1.5);
    /* prior alone: an AR(1) with r = sqrt(1 - b^2), time (1 + r)/(1 - r) = 42.4 */
    fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 2 });
    fd_obs_noise(&a, &o, 1e8);
    double y = 0, *x = fd_raw(&a, double, STEPS), r = sqrt(1 - .09);
    fd_mcmc how = { .prior = c0, .phi = fd_obs_potential(&a, &o, &y), .kind = FD_MCMC_PCN,
                    .h = .3 };
    fd_chain *c = fd_chain_begin(&a, &how, fd_seed(3), 0, NULL);
    for (int i = 0; i < STEPS; i++) fd_chain_step(c, a), x[i] = (double)c->u[3];
    NEAR(fd_iact(STEPS, x, a), (1 + r) / (1 - r), 6, "time of an AR(1)");
    OK(c && c->accepted == STEPS && c->calls == STEPS + 1, "a flat likelihood accepts always");
    fd_obs_noise(&a, &o, .1);
    y = 1;
    mcmc_resumed(c0, &o, &y, a);
    fd_obs_noise(&a, &o, .4);
    /* adaptation reaches the rate that is asked for */
    for (int kind = FD_MCMC_PCN; kind <= FD_MCMC_HMC; kind++) {
        fd_arena b = a;
        how = (fd_mcmc){ .prior = c0, .phi = fd_obs_potential(&b, &o, &y), .kind = kind, .h = .05,
                         .leaps = 3, .adapt = 4000, .target = .5 };
        fd_chain *one = fd_chain_begin(&b, &how, fd_seed(9), 0, NULL);
        for (int i = 0; i < 4000; i++) fd_chain_step(one, b);
        long long before = one->accepted;
        for (int i = 0; i < 4000; i++) fd_chain_step(one, b);
        NEAR((double)(one->accepted - before) / 4000, .5, .13,
             "kind %d: acceptance after adaptation", kind);
    }
    diagnostics(a);
    static const struct { int kind; double h; } wrong[] = {
        { FD_MCMC_PCN, 0 }, { FD_MCMC_PCN, 1.1 }, { FD_MCMC_MALA, 2.1 }, { FD_MCMC_HMC, NAN },
        { 0, .1 }, { 6, .1 } };
    OK(!st.code, "status");
    for (int i = 0; i < 4; i++) {
        fd_real u[N] = { 0 };
        st.code = 0;
        how = (fd_mcmc){ .prior = c0, .phi = fd_obs_potential(&a, &o, &y), .kind = FD_MCMC_PCN,
                         .h = .1 };
        fd_chain *c1 = fd_chain_resume(&a, &how, fd_seed(1), 0, u, 5, i == 0 ? 0 : .1,
                                       i == 1 ? 6 : 2, i == 2 ? -1 : 9);
        OK(i < 3 ? !c1 && st.code == FD_EARG : c1 && !st.code, "a state that is none, %d", i);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        how.kind = wrong[i].kind, how.h = wrong[i].h;
        st.code = 0;
        OK(!fd_chain_begin(&a, &how, fd_seed(1), 0, NULL) && st.code == FD_EARG, "kind %d, step %g",
           how.kind, how.h);
    }
}

/* --- UCoS: the identity of C 1.4, O8, and the law of its noise --- */

typedef struct {
    int n, m;
    const double *K0, *C, *A;
    const double *m0;
    const fd_process *p;
    double gamma;
} ucos_raw;

/* Sigma_t, dense */
static void ucos_sigma(const ucos_raw *o, double t, double *S, fd_arena a)
{
    fd_coef f = fd_law(o->p, t, 0);
    double r = f.v / (f.m * f.m), *mean = fd_new(&a, double, o->n);
    double *G = fd_new(&a, double, o->m * o->m);
    double *y = fd_new(&a, double, o->m);
    for (int i = 0; i < o->n * o->n; i++) S[i] = r * o->C[i];
    for (int i = 0; i < o->m; i++) G[i * (o->m + 1)] = o->gamma;
    krige(o->n, o->m, o->A, G, y, mean, S, a);
}

/* m0 + K0 (K0 + Sigma)^-1 (z - m0) */
static void ucos_eval(const void *self, const fd_space *s, int b, const fd_real *z, const double *t,
                      fd_real *y, fd_arena a)
{
    const ucos_raw *o = self;
    (void)s;
    for (int k = 0; k < b; k++) {
        fd_arena c = a;
        double *S = fd_raw(&c, double, o->n * o->n), *K = fd_raw(&c, double, o->n * o->n);
        double *m = fd_raw(&c, double, o->n);
        double *I = fd_new(&c, double, o->n * o->n), *w = fd_raw(&c, double, o->n);
        ucos_sigma(o, t[k], S, c);
        memcpy(K, o->K0, (size_t)(o->n * o->n) * sizeof *K);
        for (int i = 0; i < o->n; i++)
            m[i] = o->m0[i], w[i] = (double)z[k * o->n + i], I[i * (o->n + 1)] = 1;
        krige(o->n, o->n, I, S, w, m, K, c);
        for (int i = 0; i < o->n; i++) y[k * o->n + i] = (fd_real)m[i];
    }
}

static void ucos(void)
{
    enum { N = 12, M = 2, B = 20000 };
    static const double y[M] = { 1, -.7 };
    static const ptrdiff_t at[M] = { 3, 9 };
    fd_status st;
    fd_arena a = test_arena(1 << 25, &st);
    fd_space s = cells(&a, N);
    fd_cov *c0 = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
    fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &rough2);
    double K0[N * N], K[N * N], S[N * N], A[M * N] = { 0 }, m0[N], want[N], got[N * N] = { 0 };
    fd_real x[N], D[N], m0r[N], *noise = fd_raw(&a, fd_real, B * N);
    double *ts = fd_raw(&a, double, B);
    matrix_of(c0, N, K0, a), matrix_of(C, N, K, a);
    for (int i = 0; i < N; i++) m0[i] = sin(6. * i / N), m0r[i] = (fd_real)m0[i];
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    fd_gain *g = fd_gain_new(&a, &o, C, NULL);
    fd_process p[2] = { fd_vp(C, .1, 20), fd_flow(C, 0) };
    fd_cov_draw(c0, fd_seed(4), 0, 1, x, a);
    for (int k = 0; k < 2; k++)
        for (int q = 0; q < 3; q++) {
            double t = q == 0 ? .9 : q == 1 ? .4 : .05;
            ucos_raw raw = { N, M, K0, K, A, m0, &p[k], .05 };
            fd_model m = fd_ucos(&a, g, &p[k], y, (fd_model){ .eval = ucos_eval, .self = &raw });
            m.eval(m.self, &s, 1, x, &t, D, a);
            joint(c0, &p[k], t, m0r, M, A, .05, y, x, want, a);
            OK(!st.code, "UCoS: %s", st.code ? st.what : "");
            for (int i = 0; i < N; i++)
                NEAR((double)D[i], want[i], TOL(1e-8, 5e-3) * (1 + fabs(want[i])),
                     "UCoS, process %d, t = %g", k, t);
        }
    ucos_raw raw = { N, M, K0, K, A, m0, &p[0], .05 };
    for (int i = 0; i < B; i++) ts[i] = .4;
    fd_ucos_noise(g, &p[0], fd_seed(6), 0, B, ts, noise, a);
    ucos_sigma(&raw, .4, S, a);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                got[i * N + j] += (double)noise[b * N + i] * (double)noise[b * N + j] / B;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            NEAR(got[i * N + j], S[i * N + j],
                 5 * sqrt((S[i * N + i] * S[j * N + j] + S[i * N + j] * S[i * N + j]) / B) + 1e-4,
                 "covariance of UCoS's noise");
    double one = 1;
    fd_model m = fd_ucos(&a, g, &p[1], y, (fd_model){ .eval = ucos_eval, .self = &raw });
    m.eval(m.self, &s, 1, x, &one, D, a);
    OK(st.code == FD_EARG, "UCoS where m = 0");
}

/* the same for a mixture: D(z; Sigma) of each part, weighed by N(z; m_j, K_j + Sigma) */
typedef struct { ucos_raw part[2]; double w[2]; } ucos_two;

static void ucos_two_eval(const void *self, const fd_space *s, int b, const fd_real *z,
                          const double *t, fd_real *y, fd_arena a)
{
    const ucos_two *o = self;
    const int n = o->part[0].n;
    (void)s;
    for (int k = 0; k < b; k++) {
        fd_arena c = a;
        double l[2], *m = fd_raw(&c, double, 2 * n), *I = fd_new(&c, double, n * n),
            *S = fd_raw(&c, double, n * n);
        double *K = fd_raw(&c, double, n * n), *w = fd_raw(&c, double, n);
        for (int i = 0; i < n; i++) w[i] = (double)z[k * n + i], I[i * (n + 1)] = 1;
        ucos_sigma(&o->part[0], t[k], S, c);
        for (int j = 0; j < 2; j++) {
            memcpy(K, o->part[j].K0, (size_t)(n * n) * sizeof *K);
            for (int i = 0; i < n; i++) m[j * n + i] = o->part[j].m0[i];
            l[j] = log(o->w[j]) + krige(n, n, I, S, w, m + j * n, K, c);
        }
        double first = 1 / (1 + exp(l[1] - l[0]));
        for (int i = 0; i < n; i++) y[k * n + i] = (fd_real)(first * m[i] + (1 - first) * m[n + i]);
    }
}

static void ucos_mixture(void)
{
    enum { N = 8, M = 2 };
    static const double y[M] = { .4, -.1 };
    static const ptrdiff_t at[M] = { 2, 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 23, &st);
    fd_space s = cells(&a, N);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .2, .5),
        *c[2] = { fd_cov_matern(&a, &s, 1, .3, 1.5), fd_cov_matern(&a, &s, .5, .2, 1.5) };
    fd_process p = fd_vp(C, .1, 20);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    double K[N * N], K0[2][N * N], A[M * N] = { 0 }, m0[2][N];
    fd_real means[2 * N], x[N], D[N], want[N];
    ucos_two raw = { .w = { .4, .6 } };
    matrix_of(C, N, K, a);
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    for (int j = 0; j < 2; j++) {
        matrix_of(c[j], N, K0[j], a);
        for (int i = 0; i < N; i++)
            m0[j][i] = (j ? -1 : 1) * sin(6. * i / N), means[j * N + i] = (fd_real)m0[j][i];
        raw.part[j] = (ucos_raw){ N, M, K0[j], K, A, m0[j], &p, .05 };
    }
    fd_gain *g = fd_gain_new(&a, &o, C, NULL);
    fd_model m = fd_ucos(&a, g, &p, y, (fd_model){ .eval = ucos_two_eval, .self = &raw });
    fd_model exact = fd_oracle_posterior(&a, &p, 2, raw.w, means, (const fd_cov **)c, &o, y);
    fd_cov_draw(c[0], fd_seed(3), 0, 1, x, a);
    for (double t = .1; t < 1; t += .4) {
        m.eval(m.self, &s, 1, x, &t, D, a);
        exact.eval(exact.self, &s, 1, x, &t, want, a);
        OK(!st.code, "UCoS: %s", st.code ? st.what : "");
        for (int i = 0; i < N; i++)
            NEAR((double)D[i], (double)want[i], TOL(1e-10, 2e-3), "UCoS of a mixture, t = %g", t);
    }
}

/* --- guidance without a classifier --- */

static void free_guided(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = cells(&a, 6);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5), *c1 = fd_cov_matern(&a, &s, 2, .3, 1.5);
    fd_process p = fd_vp(c, .1, 20);
    fd_model m[2] = { fd_oracle_gauss(&a, &p, NULL, c), fd_oracle_gauss(&a, &p, NULL, c1) };
    fd_real x[6], y[3][6];
    double t = .4;
    fd_cov_draw(c, fd_seed(1), 0, 1, x, a);
    for (int i = 0; i < 2; i++) m[i].eval(m[i].self, &s, 1, x, &t, y[i], a);
    for (int k = 0; k < 3; k++) {
        fd_model g = fd_free_guided(&a, &p, m[0], m[1], k == 2 ? 2.385 : k);
        g.eval(g.self, &s, 1, x, &t, y[2], a);
        for (int i = 0; i < 6; i++)
            NEAR((double)y[2][i],
                 (double)y[1][i] + (k == 2 ? 2.385 : k) * ((double)y[0][i] - (double)y[1][i]),
                 TOL(1e-14, 1e-6), "free guidance, scale %d", k);
    }
    /* its flow moves a mode's deviation as the two flows do, to the powers scale and 1 - scale */
    enum { STEPS = 400 };
    double *at = fd_raw(&a, double, STEPS + 1), var[6], from[6], scale = 2.385;
    fd_times(&p, FD_UNIFORM, 0, STEPS, at, &st);
    fd_sampler how = { .p = &p, .model = fd_free_guided(&a, &p, m[0], m[1], scale), .t = at,
                       .steps = STEPS, .scheme = FD_PF_RK4 };
    fd_start_law(&how, NULL, from, a);
    memcpy(var, from, sizeof var);
    fd_exact_law(&how, NULL, var, a);
    for (int k = 0; k < 6; k++) {
        fd_coef T = fd_law(&p, at[0], k), e = fd_law(&p, at[STEPS], k);
        double v = c->lam[k], w = c1->lam[k];
        double q = (e.m * e.m * v + e.v * v) / (T.m * T.m * v + T.v * v);
        double q1 = (e.m * e.m * w + e.v * v) / (T.m * T.m * w + T.v * v);
        double want = from[k] * pow(q, scale) * pow(q1, 1 - scale);
        NEAR(var[k], want, TOL(1e-5, 1e-3) * want, "the law of its flow, mode %d", k);
    }
    OK(!st.code, "status");
}

/* --- guidance of networks: one pass for prediction and J*, in parts, gives what two do --- */

/* a model of one's own that gives both, in parts of two: guidance asks it once, and for nothing
 * else */
typedef struct { fd_model of; int asked, other; } both;

static void both_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      fd_real *y, fd_arena a)
{
    both *q = (both *)(uintptr_t)self;
    q->other++;
    q->of.eval(q->of.self, s, b, x, t, y, a);
}

static void both_vjp(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     const fd_real *dy, fd_real *dx, fd_arena a)
{
    both *q = (both *)(uintptr_t)self;
    q->other++;
    q->of.vjp(q->of.self, s, b, x, t, dy, dx, a);
}

static void both_pull(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      fd_ask *ask, void *of, fd_real *dx, fd_arena a)
{
    both *q = (both *)(uintptr_t)self;
    const ptrdiff_t n = fd_size(s);
    q->asked++;
    for (int i = 0; i < b; i += 2) {
        const int some = b - i < 2 ? b - i : 2;
        fd_real *y = fd_raw(&a, fd_real, some * n), *dy = fd_raw(&a, fd_real, some * n);
        if (!dy) return;
        q->of.eval(q->of.self, s, some, x + i * n, t + i, y, a);
        ask(of, i, some, y, dy, a);
        q->of.vjp(q->of.self, s, some, x + i * n, t + i, dy, dx + i * n, a);
    }
}

static void own_pass(void)
{
    enum { N = 8, B = 5 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = cells(&a, N);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_process p = fd_vp(c, .1, 20);
    fd_obs o = fd_obs_points(&a, &s, 2, (double[]){ .2, .7 }, NULL);
    fd_obs_noise(&a, &o, .1);
    both own = { fd_oracle_gauss(&a, &p, NULL, c0), 0, 0 };
    const double t[B] = { .1, .3, .3, .7, .9 };
    fd_real x[B * N], y[2][B * N];
    fd_cov_draw(c, fd_seed(1), 0, B, x, a);
    for (int k = 0; k < 2; k++) {
        fd_guide how = { .p = &p, .o = &o, .y = (double[]){ 1, -.5 }, .rule = FD_GUIDE_PIGDM,
                         .model = own.of };
        if (k) how.model = (fd_model){ FD_X0, both_eval, both_vjp, NULL, &own, both_pull };
        fd_model g = fd_guided(&a, &how);
        g.eval(g.self, &s, B, x, t, y[k], a);
    }
    NEAR(test_maxdiff(B * N, y[1], y[0]), 0, TOL(1e-14, 1e-6), "a model that is asked: the same");
    OK(!st.code && own.asked == 1 && own.other == 0, "asked once: %d, %d", own.asked, own.other);
    test_free();
}

static void one_pass(void)
{
    enum { SIDE = 64, B = 10, M = 3 };                               /* parts of eight functions */
    fd_status st;
    fd_arena a = test_arena((size_t)384 << 20, &st);                 /* FD_PLAIN takes more */
    fd_space s = fd_grid(&a, 2, (int[]){ SIDE, SIDE }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_process p = fd_vp(c, .1, 20);
    fd_arch arch = { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = 32, .layers = 1,
                     .fno.modes = { 4, 4 }, .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_obs o = fd_obs_points(&a, &s, M, (double[]){ .1, .2, .5, .5, .9, .3 }, NULL);
    fd_obs_noise(&a, &o, .1);
    const ptrdiff_t n = SIDE * SIDE;
    fd_real *x = fd_raw(&a, fd_real, B * n), *y[2];
    double t[B];
    for (int i = 0; i < 2; i++) y[i] = fd_raw(&a, fd_real, B * n);
    fd_cov_draw(c, fd_seed(2), 0, B, x, a);
    for (int i = 0; i < B; i++) t[i] = i < 4 ? .3 : .1 + .08 * i;
    fd_precond *w = fd_precond_new(&a, &p, NULL, c0);
    for (int kind = FD_X0; kind <= FD_SCORE_FULL + 1; kind++)
        for (int rule = FD_GUIDE_PIGDM; rule <= FD_GUIDE_DPS; rule++) {
            fd_arena b = a;
            fd_model m = fd_net_model(&b, net, kind > FD_SCORE_FULL ? FD_X0 : kind);
            if (kind > FD_SCORE_FULL) m = fd_precond_model(&b, w, m);
            OK(m.pull && m.vjp, "networks give both in one pass, kind %d", kind);
            fd_guide how = { .p = &p, .model = m, .o = &o, .y = (double[]){ 1, -.5, .3 },
                             .rule = rule, .zeta = .1 };
            for (int two = 0; two < 2; two++) {
                if (two) how.model.pull = NULL;
                fd_arena k = b;
                fd_model g = fd_guided(&k, &how);
                if (!st.code) g.eval(g.self, &s, B, x, t, y[two], k);
            }
            double d = 0, most = 0;
            for (ptrdiff_t i = 0; i < B * n && !st.code; i++) {
                d = fmax(d, fabs((double)y[0][i] - (double)y[1][i]));
                most = fmax(most, fabs((double)y[1][i]));
            }
            OK(!st.code && most > 0 && d <= TOL(1e-12, 1e-5) * most,
               "one pass, kind %d, rule %d: off by %g of %g; %s", kind, rule, d, most,
               st.code ? st.what : "");
        }
}

/* --- split Gibbs, ensembles, particles, the latent posterior: by chance, against exact laws --- */

enum { SN = 8, SM = 2 };
typedef struct {
    fd_space s;
    fd_cov *c0;
    fd_obs o;
    fd_real m0[SN];
    double A[SM * SN], y[SM];
} small;

static void small_new(small *q, fd_arena *a, double gamma)
{
    static const ptrdiff_t at[SM] = { 2, 6 };
    q->s = cells(a, SN);
    q->c0 = fd_cov_matern(a, &q->s, 1, .3, 1.5);
    q->o = fd_obs_pick(a, &q->s, SM, at);
    fd_obs_noise(a, &q->o, sqrt(gamma));
    q->y[0] = 1, q->y[1] = -.7;
    memset(q->A, 0, sizeof q->A);
    for (int i = 0; i < SN; i++) q->m0[i] = (fd_real)sin(6. * i / SN);
    for (int i = 0; i < SM; i++) q->A[i * SN + at[i]] = 1;
}

/* mean and covariance of B functions against those wanted, within `wide` standard errors; ess:
 * independent ones among them */
static void agree(const char *name, int B, double ess, const fd_real *x, const double *mean,
                  const double *K, double wide)
{
    double got[SN] = { 0 }, cov[SN * SN] = { 0 };
    for (int b = 0; b < B; b++) for (int i = 0; i < SN; i++) got[i] += (double)x[b * SN + i] / B;
    for (int b = 0; b < B; b++)
        for (int i = 0; i < SN; i++)
            for (int j = 0; j < SN; j++)
                cov[i * SN + j] += ((double)x[b * SN + i] - got[i])
                                   * ((double)x[b * SN + j] - got[j]) / B;
    for (int i = 0; i < SN; i++) {
        NEAR(got[i], mean[i], wide * sqrt(K[i * (SN + 1)] / ess), "%s: mean", name);
        for (int j = 0; j < SN; j++)
            NEAR(cov[i * SN + j], K[i * SN + j],
                 wide * sqrt((K[i * (SN + 1)] * K[j * (SN + 1)] + pow(K[i * SN + j], 2)) / ess),
                 "%s: covariance", name);
    }
}

static void split_gibbs(void)
{
    enum { B = 8000 };
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    small q;
    small_new(&q, &a, .05);
    fd_process p = fd_vp(q.c0, .1, 20);
    for (int k = 0; k < 2; k++) {
        double rho = k ? .3 : 1, t[9], G[SM * SM], K[SN * SN], S[SM][SM], mean[SN];
        p.tmin = 0;
        p.tmax = 1;
        fd_process from = p;
        t[0] = fd_time_at(&p, rho);
        fd_coef f = fd_law(&p, t[0], 0);
        NEAR(sqrt(f.v) / f.m, rho, 1e-9, "time at which s/m = %g", rho);
        for (int i = 1; i <= 8; i++) t[i] = t[0] * (8 - i) / 8;
        fd_sampler how = { .p = &from, .model = fd_oracle_gauss(&a, &from, q.m0, q.c0), .t = t,
                           .steps = 8,
                           .scheme = FD_ANCESTRAL_OPTIMAL };           /* exact for Gaussian data */
        fd_gain *g = fd_gain_new(&a, &q.o, q.c0, NULL);
        matrix_of(q.c0, SN, K, a);
        for (int i = 0; i < SM; i++)
            for (int j = 0; j < SM; j++) {
                S[i][j] = 0;
                for (int u = 0; u < SN; u++)
                    for (int v = 0; v < SN; v++)
                        S[i][j] += q.A[i * SN + u] * K[u * SN + v] * q.A[j * SN + v];
                G[i * SM + j] = (i == j) * .05 + rho * rho * S[i][j];
            }
        for (int i = 0; i < SN; i++) mean[i] = (double)q.m0[i];
        krige(SN, SM, q.A, G, q.y, mean, K, a);
        fd_real *x = fd_raw(&a, fd_real, B * SN);
        fd_cov_draw(q.c0, fd_seed(1), 0, B, x, a);
        for (int i = 0; i < (k ? 60 : 16) && !st.code; i++)  /* contraction 1/(1 + rho^2) a sweep */
            fd_split_gibbs(&how, g, q.y, rho, fd_stream(fd_seed(2), 's', (uint32_t)i), 0, B, x, a);
        OK(!st.code, "split Gibbs: %s", st.code ? st.what : "");
        agree("split Gibbs", B, B, x, mean, K, 5);
        how.t = (double[]){ .5, 0 }, how.steps = 1;
        fd_split_gibbs(&how, g, q.y, rho, fd_seed(2), 0, 1, x, a);
        OK(st.code == FD_EARG, "split Gibbs from another time");
        st.code = 0;
    }
}

static void ensembles(void)
{
    enum { B = 1500 };
    fd_status st;
    fd_arena a = test_arena(1 << 27, &st);
    small q;
    small_new(&q, &a, .05);
    double K[SN * SN], mean[SN], G[SM * SM] = { .05, 0, 0, .05 };
    matrix_of(q.c0, SN, K, a);
    for (int i = 0; i < SN; i++) mean[i] = (double)q.m0[i];
    krige(SN, SM, q.A, G, q.y, mean, K, a);
    fd_real *x = fd_raw(&a, fd_real, B * SN);
    fd_cov_draw(q.c0, fd_seed(3), 0, B, x, a);
    for (int i = 0; i < B * SN; i++) x[i] += q.m0[i % SN];
    for (int i = 0; i < 2; i++)
        fd_esmda(&q.o, q.y, 2, fd_stream(fd_seed(4), 'e', (uint32_t)i), B, x, a);
    OK(!st.code, "ES-MDA: %s", st.code ? st.what : "");
    agree("ES-MDA", B, B, x, mean, K, 6);
    fd_esmda(&q.o, q.y, 2, fd_seed(1), 1, x, a);
    OK(st.code == FD_EARG, "an ensemble of one");
}

/* The part of the spread, K, that n functions lose in two steps, and its standard error. */
static double spread_lost(const small *q, const double *K, int k, double *se, fd_arena a)
{
    const int n = k ? 40 : 10, runs = k ? 300 : 1200;
    double sum = 0, sq = 0;
    fd_real *z = fd_raw(&a, fd_real, n * SN);
    for (int r = 0; r < runs; r++) {
        fd_rng own = fd_stream(fd_seed(13), 'r', (uint32_t)(2 * r + k));
        double var = 0;
        fd_cov_draw(q->c0, own, 0, n, z, a);
        for (int i = 0; i < 2; i++)
            fd_esmda(&q->o, q->y, 2, fd_stream(own, 'e', (uint32_t)i), n, z, a);
        for (int i = 0; i < SN; i++) {
            double m = 0;
            for (int j = 0; j < n; j++) m += (double)z[j * SN + i] / n;
            for (int j = 0; j < n; j++)
                var += pow((double)z[j * SN + i] - m, 2) / (n - 1) / K[i * (SN + 1)] / SN;
        }
        sum += var / runs, sq += var * var / runs;
    }
    *se = sqrt((sq - sum * sum) / runs);
    return 1 - sum;
}

/* An ensemble whose moments are those of the prior: then the step is that of infinitely many
 * functions, and each of them is known. Its law, N(m + G (y - A m), (1 - G A) K (1 - G A)^T + alpha
 * G Gamma G^T), is the posterior for the noise alpha Gamma, and after steps whose 1/alpha sum to 1
 * that for Gamma. A small ensemble loses spread, in proportion to 1/functions. */
static void ensembles_law(void)
{
    enum { J = 2 * SN };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    small q;
    small_new(&q, &a, .05);
    double K[SN * SN], L[SN * SN], mean[SN], wide[SN], big[SN * SN], G[SM * SM] = { 0 },
        eta[J * SM], want[SN];
    matrix_of(q.c0, SN, K, a);
    memcpy(big, K, sizeof big);
    memcpy(L, K, sizeof L);
    fd_cholesky(&st, SN, L);
    fd_real x[J * SN], none[J * SN] = { 0 };
    for (int j = 0; j < J; j++)
        for (int i = 0; i < SN; i++)
            x[j * SN + i] = (fd_real)((double)q.m0[i] + (j % 2 ? -1 : 1) * sqrt(.5 * (J - 1))
                                      * L[i * SN + j / 2]);
    static const double alpha[2] = { 3, 1.5 };
    /* the noise that the step will use */
    fd_obs_draw(&q.o, fd_seed(12), 0, J, none, eta, a);
    fd_real was[J * SN];
    memcpy(was, x, sizeof was);
    fd_esmda(&q.o, q.y, alpha[0], fd_seed(12), J, x, a);
    for (int i = 0; i < SM; i++) G[i * (SM + 1)] = alpha[0] * .05;
    /* each by Matheron's rule with alpha Gamma */
    for (int j = 0; j < J; j++) {
        double y[SM], K1[SN * SN];
        for (int i = 0; i < SM; i++) y[i] = q.y[i] + sqrt(alpha[0]) * eta[j * SM + i];
        for (int i = 0; i < SN; i++) want[i] = (double)was[j * SN + i];
        memcpy(K1, K, sizeof K1);
        krige(SN, SM, q.A, G, y, want, K1, a);
        for (int i = 0; i < SN; i++)
            NEAR((double)x[j * SN + i], want[i], TOL(1e-11, 2e-4),
                 "ES-MDA of infinitely many: function %d", j);
    }
    for (int i = 0; i < SN; i++) mean[i] = wide[i] = (double)q.m0[i];
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < SM; i++) G[i * (SM + 1)] = alpha[k] * .05;
        krige(SN, SM, q.A, G, q.y, wide, big, a);
    }
    for (int i = 0; i < SM; i++) G[i * (SM + 1)] = .05;
    krige(SN, SM, q.A, G, q.y, mean, K, a);
    for (int i = 0; i < SN; i++) {
        NEAR(wide[i], mean[i], TOL(1e-10, 1e-4), "two steps of ES-MDA: mean");
        NEAR(big[i * (SN + 1)], K[i * (SN + 1)], TOL(1e-10, 1e-4), "two steps of ES-MDA: variance");
    }
    double lost[2], se[2];
    for (int k = 0; k < 2; k++) lost[k] = spread_lost(&q, K, k, &se[k], a);
    OK(!st.code, "ES-MDA: %s", st.code ? st.what : "");
    OK(lost[1] > 3 * se[1], "40 functions lose spread: %g +- %g", lost[1], se[1]);
    OK(lost[0] > 2 * lost[1], "10 functions lose more: %g, %g", lost[0], lost[1]);
}

static void particles(void)
{
    enum { P = 256, RUNS = 100, STEPS = 12 };
    fd_status st;
    fd_arena a = test_arena(1 << 25, &st);
    small q;
    small_new(&q, &a, .05);
    fd_process p = fd_vp(q.c0, .1, 20);
    double t[STEPS + 1], K[SN * SN], S[SN * SN], mean[SN] = { 0 }, G[SM * SM] = { .05, 0, 0, .05 };
    for (int i = 0; i <= STEPS; i++) t[i] = pow((STEPS - i) / (double)STEPS, 2);
    fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&a, &p, q.m0, q.c0), .t = t,
                       .steps = STEPS, .scheme = FD_ANCESTRAL };
    /* the law of the sampler itself, and the posterior and p(y) of that */
    plain c = { .how = how, .n = SN };
    matrix_of(q.c0, SN, S, a);
    for (int i = 0; i < SN * SN; i++) S[i] *= fd_law(&p, 1, 0).v;
    for (int k = 0; k < STEPS; k++) {
        c.t = t[k], c.s = t[k + 1];
        fd_affine_law(plain_step, &c, SN, SN, mean, S, a);
    }
    memcpy(K, S, sizeof K);
    double logp = krige(SN, SM, q.A, G, q.y, mean, K, a);
    for (int rule = 0; rule < 3; rule++) {
        double sum = 0, sq = 0;
        fd_real *x = fd_raw(&a, fd_real, RUNS * P * SN);
        for (int i = 0; i < RUNS && !st.code; i++) {
            fd_arena b = a;
            fd_guide guide = { .o = &q.o, .y = q.y,
                               .rule = rule == 0 ? 0 : rule == 1 ? FD_GUIDE_PIGDM : FD_GUIDE_DPS,
                               .zeta = rule == 2 ? .3 : 0 };
            fd_particles *w =
                fd_particles_begin(&b, &how, &guide,
                                   fd_stream(fd_seed(7), 'p', (uint32_t)(RUNS * rule + i)), P);
            while (fd_particles_step(w, b)) { }
            double z = exp(fd_particles_evidence(w) - logp);
            sum += z / RUNS, sq += z * z / RUNS;
            fd_particles_resample(w, b);
            if (w) memcpy(x + i * P * SN, w->run->x, P * SN * sizeof *x);
            if (i == 0)
                OK(w && fabs(fd_particles_ess(w) - P) < 1e-9, "equal weights after resampling");
        }
        OK(!st.code, "particles: %s", st.code ? st.what : "");
        NEAR(sum, 1, 4.5 * sqrt((sq - sum * sum) / RUNS), "particles, rule %d: p(y) without bias",
             rule);
        OK(sqrt(sq - sum * sum) < (rule == 1 ? .5 : 2), "particles, rule %d: scatter of p(y): %g",
           rule, sqrt(sq - sum * sum));
        agree("particles", RUNS * P, RUNS * P / (rule == 1 ? 4. : 16), x, mean, K, 6);
    }
}

static void latent_posterior(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    small q;
    small_new(&q, &a, .05);
    fd_process p = fd_vp(q.c0, .1, 20);
    double t[7];
    for (int i = 0; i <= 6; i++) t[i] = pow((6 - i) / 6., 2);
    fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&a, &p, q.m0, q.c0), .t = t, .steps = 6,
                       .scheme = FD_DDIM };
    fd_potential phi = fd_obs_potential(&a, &q.o, q.y), T = fd_latent_potential(&a, &how, &phi);
    fd_real z[SN], x[SN];
    fd_cov_draw(q.c0, fd_seed(5), 0, 1, z, a);
    fd_run *run = fd_begin(&a, &how, fd_seed(1), 0, 1);
    memcpy(run->x, z, sizeof z);
    while (fd_step(run, a)) { }
    memcpy(x, run->x, sizeof x);
    double want = fd_obs_misfit(&q.o, q.y, x, NULL, a), got = T.value(T.self, &q.s, z, NULL, a);
    OK(!st.code && want > 0, "latent posterior");
    NEAR(got, want, TOL(1e-12, 1e-4) * want, "Phi(T(z))");
    fd_mcmc mc = { .prior = q.c0, .phi = T, .kind = FD_MCMC_MALA, .h = .1 };
    OK(!fd_chain_begin(&a, &mc, fd_seed(1), 0, NULL) && st.code == FD_EARG,
       "no gradient of the latent posterior");
    st.code = 0;
    how.scheme = FD_ANCESTRAL;
    fd_latent_potential(&a, &how, &phi);
    OK(st.code == FD_EARG, "a sampler with noise has no latent posterior");
}

/* two points: x_0 ~ N(0, s0^2), x_1 = x_0 + d; E[d | y], E[d^2 | y] by quadrature over d */
static void levy(void)
{
    enum { SWEEPS = 60000 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = cells(&a, 2);
    for (int law = FD_LEVY_LAPLACE; law <= FD_LEVY_BERNOULLI; law++) {
        fd_levy prior = { .law = law, .s0 = .5, .b = .4, .nu = 3, .chance = .3 };
        const int zeros = law == FD_LEVY_BERNOULLI;
        fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 0, 1 });
        fd_obs_noise_each(&a, &o, (double[]){ .2, .3 });
        const double y[2] = { .1, 1.1 };
        double w = prior.b * prior.b, *d = fd_raw(&a, double, SWEEPS), Z = 0, m1 = 0, m2 = 0;
        double g1 = 0, g2 = 0, jumps = 0, some = 0;
        fd_real x[2];
        for (int i = -40000; i <= 40000; i++) {                 /* x_0 integrated out: y1 | y0, d */
            double e = i * 2e-4, v = .25 * .04 / .29, mean = .1 * .25 / .29, r = 1.1 - mean - e;
            double q = law == FD_LEVY_STUDENT ? pow(1 + e * e / (3 * .16), -2) : exp(-fabs(e) / .4);
            if (zeros) q *= prior.chance / .8 * 2e-4;
            q *= exp(-.5 * r * r / (v + .09));
            Z += q, m1 += q * e, m2 += q * e * e, some += q;
            if (zeros && i == 0) Z += (1 - prior.chance) * exp(-.5 * r * r / (v + .09));
        }
        m1 /= Z, m2 /= Z;
        for (int i = 0; i < SWEEPS && !st.code; i++) {
            fd_levy_sweep(&prior, &o, y, fd_seed(9), (uint32_t)i, &w, x, a);
            d[i] = (double)x[1] - (double)x[0];
            jumps += (double)(w > 0) / SWEEPS;
            g1 += d[i] / SWEEPS, g2 += d[i] * d[i] / SWEEPS;
        }
        double tau = fd_iact(SWEEPS, d, a);
        OK(!st.code, "Levy: %s", st.code ? st.what : "");
        if (zeros)
            NEAR(jumps, some / Z, 5 * sqrt(.25 * tau / SWEEPS), "Levy: how often there is a jump");
        OK(tau < 20, "Levy %d mixes: %g", law, tau);
        NEAR(g1, m1, 5 * sqrt((m2 - m1 * m1) * tau / SWEEPS), "Levy %d: mean of the increment",
             law);
        NEAR(g2, m2, 5 * sqrt(3 * m2 * m2 * tau / SWEEPS), "Levy %d: its square", law);
    }
}

/* --- as released: conditional2 A8 --- */

/* the law of a released step, of x: mean and covariance of b states */
static void released_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    const fd_released *g = self;
    const int n = (int)fd_size(&g->o->s);
    fd_real *u = fd_raw(&a, fd_real, b * n);
    (void)z;
    for (int i = 0; i < b * n && u; i++) u[i] = (fd_real)x[i];
    /* eta is not looked at: the number of the step */
    fd_released_step(g, (int)g->how.eta, b, u, a);
    for (int i = 0; i < b * n && u; i++) x[i] = (double)u[i];
}

enum { RN = 10, RM = 2 };
/* G = K0 (K0 + sigma^2 K)^-1, so that D = m0 + G (z - m0) */
static void shrink_of(const double *K0, const double *K, double sigma, double *G, fd_arena a)
{
    double *S = fd_raw(&a, double, RN * RN);
    for (int i = 0; i < RN * RN; i++) S[i] = K0[i] + sigma * sigma * K[i];
    inverse(RN, S, a);
    times(RN, K0, S, G);
}

/* the covariance after one step of FD_FUNDPS; G: dD/dz, H: of the second evaluation, M: dz1/dz */
static void released_cov(double from, double to, double w, const double *A, const double *G,
                         const double *H, const double *M, double *cov)
{
    double F[RN * RN], T[RN * RN], HM[RN * RN];
    memcpy(HM, G, sizeof HM);
    if (to > 0) times(RN, H, M, HM);                                 /* dD1/dz */
    for (int i = 0; i < RN; i++)
        for (int j = 0; j < RN; j++) {
            double pull = 0, one = i == j;
            for (int l = 0; l < RM; l++) {
                double left = 0, right = 0;
                for (int c = 0; c < RN; c++)
                    left += A[l * RN + c] * HM[c * RN + i], right += A[l * RN + c] * HM[c * RN + j];
                pull += 2. / RM * left * right;
            }
            F[i * RN + j] = (to > 0 ? one + .5 * (to - from) * ((one - G[i * RN + j]) / from
                                                       + (M[i * RN + j] - HM[i * RN + j]) / to)
                                    : M[i * RN + j]) - w * pull;
        }
    times(RN, F, cov, T);
    for (int i = 0; i < RN; i++)
        for (int j = 0; j < RN; j++) {
            cov[i * RN + j] = 0;
            for (int c = 0; c < RN; c++) cov[i * RN + j] += T[i * RN + c] * F[j * RN + c];
        }
}

/* one step in z as the formulas have it, on mean and covariance where rule is FD_FUNDPS; else on
 * the mean alone */
static void released_exact(int rule, double from, double to, double w, const double *K0,
                           const double *K, const double *m0, const double A[RM * RN],
                           const double *y, double *z, double *cov, fd_arena a)
{
    double G[RN * RN], H[RN * RN], M[RN * RN], z1[RN], D[RN], D1[RN], r[RM], q[RN], g[RN], L = 0;
    const double k = to / from;
    shrink_of(K0, K, from, G, a);
    if (to > 0) shrink_of(K0, K, to, H, a);
    for (int i = 0; i < RN * RN; i++) M[i] = (i % (RN + 1) == 0) * k + (1 - k) * G[i];
    for (int i = 0; i < RN; i++) {
        D[i] = m0[i];
        for (int j = 0; j < RN; j++) D[i] += G[i * RN + j] * (z[j] - m0[j]);
        z1[i] = k * z[i] + (1 - k) * D[i];
    }
    for (int i = 0; i < RN; i++) {
        D1[i] = to > 0 ? m0[i] : D[i];
        for (int j = 0; j < RN && to > 0; j++) D1[i] += H[i * RN + j] * (z1[j] - m0[j]);
    }
    for (int i = 0; i < RM; i++) {
        r[i] = -y[i];
        for (int j = 0; j < RN; j++) r[i] += A[i * RN + j] * D1[j];
        L += r[i] * r[i];
    }
    /* A^T dL/dF, then through both evaluations */
    for (int j = 0; j < RN; j++) {
        q[j] = 0;
        for (int i = 0; i < RM; i++)
            q[j] += A[i * RN + j] * r[i]
                * (rule == FD_FUNDPS ? 2. / RM : 1 / sqrt(rule == FD_DIFFUSIONPDE ? L : RM * L));
    }
    if (to > 0) {
        for (int j = 0; j < RN; j++) {
            g[j] = 0;
            for (int i = 0; i < RN; i++) g[j] += H[i * RN + j] * q[i];
        }
        for (int j = 0; j < RN; j++) {
            q[j] = 0;
            for (int i = 0; i < RN; i++) q[j] += M[i * RN + j] * g[i];
        }
    } else {
        for (int j = 0; j < RN; j++) {
            g[j] = 0;
            for (int i = 0; i < RN; i++) g[j] += G[i * RN + j] * q[i];
        }
        memcpy(q, g, sizeof q);
    }
    for (int i = 0; i < RN; i++)
        z[i] += (to > 0 ? .5 * (to - from) * ((z[i] - D[i]) / from + (z1[i] - D1[i]) / to) : z1[i]
                 - z[i]) - w * q[i];
    if (rule == FD_FUNDPS && cov) released_cov(from, to, w, A, G, H, M, cov);
}

/* the process of [EDM]: m = 1, sigma = t */
static double edm_one(double r, const void *self, double *slope)
    { (void)r, (void)self; *slope = 0; return 1; }
static double edm_sigma(double r, const void *self, double *slope)
    { (void)self; *slope = -8; return 8 * (1 - r); }

static const double released_y[RM] = { 1, -.7 };
static const ptrdiff_t released_at[RM] = { 2, 7 };
static const int released_rules[] = { FD_FUNDPS, FD_FUNDPS_ROOT, FD_DIFFUSIONPDE };

/* The gradient for a mixture, by differences of the loss; two functions at once, and a functional
 * of both. */
static void released_mixture(const fd_process *p, const fd_cov *c0, const fd_cov *C,
                             const fd_obs *o, const fd_real *mean, fd_arena a)
{
    const fd_cov *cs[2] = { c0, C };
    fd_real means[2 * RN], u[2 * RN], v[2 * RN], w[2 * RN], D[RN];
    for (int i = 0; i < RN; i++) means[i] = mean[i], means[RN + i] = -mean[i];
    const double t[3] = { .3, .25, .2 };
    for (int rule = 0; rule < 3; rule++) {
        fd_released g = { .how = { .p = p, .t = t, .steps = 2,
                                   .model = fd_oracle_mix(&a, p, 2, (double[]){ .5, .5 }, means,
                                                          cs) },
                          .o = o, .y = released_y, .rule = released_rules[rule] };
        double sf = sqrt(fd_law(p, t[0], 0).v) / fd_law(p, t[0], 0).m, ms = fd_law(p, t[1], 0).m,
            h = TOL(1e-5, 1e-2);
        fd_cov_draw(c0, fd_seed(8), 0, 2, u, a);
        memcpy(v, u, sizeof u), memcpy(w, u, sizeof u);
        fd_released_step(&g, 0, 2, v, a);
        g.zeta = .2;
        fd_released_step(&g, 0, 2, w, a);
        for (int j = 0; j < RN; j++) {
            double diff = 0;
            /* the loss of the last D, at x + e h e_j */
            for (int e = -1; e <= 1; e += 2) {
                fd_real q[RN];
                double L = 0, r[RM];
                memcpy(q, u + RN, sizeof q);
                q[j] += (fd_real)(e * h);
                fd_predict(&g.how.model, FD_X0, p, 1, q, &t[0], D, a);
                double to = sqrt(fd_law(p, t[1], 0).v) / ms, k = to / sf, m = fd_law(p, t[0], 0).m;
                for (int i = 0; i < RN; i++)
                    q[i] = (fd_real)(ms * (k * (double)q[i] / m + (1 - k) * (double)D[i]));
                fd_predict(&g.how.model, FD_X0, p, 1, q, &t[1], D, a);
                for (int i = 0; i < RM; i++)
                    r[i] = released_y[i] - (double)D[released_at[i]], L += r[i] * r[i];
                diff += e * (rule == 0 ? L / RM : sqrt(rule == 1 ? L / RM : L)) / (2 * h);
            }
            /* grad_z = m grad_x */
            double scale = .2 * (rule == 2 ? 1 : fmin(1, sf)) * ms * fd_law(p, t[0], 0).m;
            NEAR(((double)v[RN + j] - (double)w[RN + j]) / scale, diff, TOL(1e-7, 2e-2),
                 "rule %d: gradient of a mixture", rule);
        }
    }
}

/* What it does not take. */
static void released_wrong(const fd_process *p, const fd_cov *c0, const fd_obs *o,
                           const fd_real *mean, fd_arena a)
{
    const double t[3] = { .3, .25, .2 };
    fd_real u[2 * RN], v[2 * RN];
    fd_cov_draw(c0, fd_seed(8), 0, 2, u, a);
    static const struct { int rule, k, net, modal; double zeta; } wrong[] = {
        { 0, 0, 1, 0, 1 }, { 4, 0, 1, 0, 1 }, { 1, 2, 1, 0, 1 }, { 1, -1, 1, 0, 1 },
        { 1, 0, 0, 0, 1 }, { 1, 0, 1, 1, 1 }, { 1, 0, 1, 0, -1 }, { 1, 0, 1, 0, NAN } };
    fd_process heat = fd_heat(p->noise, 1, .02, NULL, NULL, 2);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const fd_process *q = wrong[i].modal ? &heat : p;
        fd_released g = { .how = { .p = q, .model = fd_oracle_gauss(&a, q, mean, c0), .t = t,
                                   .steps = 2 },
                          .o = o, .y = released_y, .rule = wrong[i].rule, .zeta = wrong[i].zeta };
        if (!wrong[i].net) g.how.model.vjp = NULL;
        OK(!a.st->code, "%s", a.st->what);
        memcpy(v, u, sizeof u);
        fd_released_step(&g, wrong[i].k, 1, v, a);
        OK(a.st->code == FD_EARG && !memcmp(u, v, sizeof u), "released, wrong %d", (int)i);
        a.st->code = 0;
    }
}

static void released(void)
{
    enum { STEPS = 20 };
    fd_status st;
    fd_arena a = test_arena(1 << 25, &st);
    fd_space s = cells(&a, RN);
    fd_cov *c0 = fd_cov_matern(&a, &s, 1, .3, 1.5), *C = fd_cov_matern(&a, &s, 1, .2, .5);
    fd_obs o = fd_obs_pick(&a, &s, RM, released_at);
    double K0[RN * RN], K[RN * RN], A[RM * RN] = { 0 }, m0[RN], t[STEPS + 1];
    fd_real mean[RN], x[RN];
    matrix_of(c0, RN, K0, a), matrix_of(C, RN, K, a);
    for (int i = 0; i < RN; i++) m0[i] = sin(6. * i / RN), mean[i] = (fd_real)m0[i];
    for (int i = 0; i < RM; i++) A[i * RN + released_at[i]] = 1;
    fd_process ps[2] = { fd_path(C, edm_one, edm_sigma, NULL, NULL), fd_vp(C, .1, 20) };
    for (int k = 0; k < 2; k++)
        for (int rule = 0; rule < 3; rule++) {
            fd_process *p = &ps[k];
            fd_real one[RN];
            double z[RN] = { 0 }, cov[RN * RN], gm[RN] = { 0 }, gc[RN * RN], end = k ? 0 : .02;
            for (int i = 0; i <= STEPS; i++)
                t[i] = end + (1 - end) * pow((STEPS - i) / (double)STEPS, k ? 1 : 2);
            fd_released g = { .how = { .p = p, .model = fd_oracle_gauss(&a, p, mean, c0), .t = t,
                                       .steps = STEPS },
                              .o = &o, .y = released_y, .rule = released_rules[rule], .zeta = .3 };
            fd_coef f = fd_law(p, 1, 0);
            for (int i = 0; i < RN * RN; i++) gc[i] = f.v * K[i], cov[i] = gc[i] / (f.m * f.m);
            fd_cov_draw(C, fd_seed(4), 0, 1, x, a);
            for (int i = 0; i < RN; i++) x[i] = (fd_real)(sqrt(f.v) * (double)x[i]), one[i] = x[i];
            if (rule) for (int i = 0; i < RN; i++) z[i] = (double)x[i] / f.m;
            for (int i = 0; i < STEPS; i++) {
                fd_coef from = fd_law(p, t[i], 0), to = fd_law(p, t[i + 1], 0);
                double sf = sqrt(from.v) / from.m, w = rule == 2 ? (i < 16 ? .3 : .03)
                                                     : i == STEPS - 1 ? 0 : .3 * fmin(1, sf);
                released_exact(released_rules[rule], sf, sqrt(to.v) / to.m, w, K0, K, m0, A,
                               released_y, z, cov, a);
                g.how.eta = i;
                if (!rule) {
                    double bad = fd_affine_law(released_step, &g, RN, 0, gm, gc, a);
                    if (i == 3) NEAR(bad, 0, TOL(1e-10, 1e-4), "FunDPS's step is affine");
                } else fd_released_step(&g, i, 1, one, a);
            }
            f = fd_law(p, end, 0);
            OK(!st.code, "released: %s", st.code ? st.what : "");
            for (int i = 0; i < RN; i++) {
                NEAR(rule ? (double)one[i] : gm[i], f.m * z[i], TOL(1e-9, 3e-4),
                     "as released, process %d, rule %d: %d", k, rule, i);
                for (int j = 0; j < RN && !rule; j++)
                    NEAR(gc[i * RN + j], f.m * f.m * cov[i * RN + j], TOL(1e-9, 3e-4),
                         "FunDPS, process %d: covariance", k);
            }
        }
    released_mixture(&ps[1], c0, C, &o, mean, a);
    released_wrong(&ps[1], c0, &o, mean, a);
}

/* the deviation that N(0, 1) has after so many steps of fd_flow without data; noise: 0 that of the
 * start, 1 fresh, 2 NULL */
static double eci_alone(int noise, int steps, fd_arena a)
{
    fd_space s = cells(&a, 1);
    fd_cov *one = fd_cov_white(&a, &s, 1, 0);
    fd_process p = fd_flow(one, 0);
    fd_model m = fd_oracle_gauss(&a, &p, NULL, one);
    fd_real x[2] = { 1, 0 }, eps[2] = { 1, 0 };
    double var = 1;
    for (int k = 0; k < steps; k++) {
        double t = 1 - (double)k / steps, next = k + 1 < steps ? 1 - (k + 1.) / steps : 0;
        /* factors of x and of the noise */
        if (noise == 1) x[0] = 1, x[1] = 0, eps[0] = 0, eps[1] = 1;
        fd_eci_step(&p, &m, NULL, NULL, t, next, 2, x, noise == 2 ? NULL : eps, a);
        if (noise == 1) var = (double)x[0] * (double)x[0] * var + (double)x[1] * (double)x[1];
    }
    return noise == 1 ? sqrt(var) : (double)x[0];
}

static void eci(void)
{
    static const int steps[] = { 50, 200, 800, 3200 };
    static const double first[] = { 2.944, 4.985, 8.214, 13.335 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    double got[5];
    for (int i = 0; i < 4; i++)
        NEAR(got[i] = eci_alone(0, steps[i], a), first[i], TOL(5.1e-4, 2e-2), "ECI, %d steps",
             steps[i]);
    /* c + a N^-1/3: its limit 3^-1/3 Gamma(2/3) by extrapolation from 800 and 3200 steps */
    double c1 = got[2] / pow(800, 1. / 3), c2 = got[3] / pow(3200, 1. / 3), q = pow(4, -1. / 3);
    NEAR((c2 - q * c1) / (1 - q), pow(3, -1. / 3) * tgamma(2. / 3), 1e-3,
         "the limit of ECI over steps^1/3");
    double wide = eci_alone(1, 400, a), narrow = eci_alone(1, 3200, a);
    NEAR(narrow, sqrt(.5), .01, "fresh noise tends to 1/sqrt 2");
    OK(fabs(narrow - sqrt(.5)) < .5 * fabs(wide - sqrt(.5)), "fresh noise: %g, %g", wide, narrow);
    NEAR(eci_alone(2, 400, a), 1, .01, "the noise in x tends to 1");
    OK(fabs(eci_alone(2, 1600, a) - 1) < .3 * fabs(eci_alone(2, 400, a) - 1),
       "the noise in x: order one");
    /* with data: they are met, at the end exactly; NULL is DDIM and the projected denoiser */
    fd_space s = cells(&a, 12);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_process p = fd_flow(C, 0), heat = fd_heat(C, 1, .02, NULL, NULL, 2);
    fd_model m = fd_oracle_gauss(&a, &p, NULL, C);
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 3, 8 });
    fd_gain *g = fd_gain_new(&a, &o, C, NULL);
    double y[6] = { 1, -.5, 1, -.5, 1, -.5 };
    fd_real x[36], w[36], d[36];
    fd_cov_draw(C, fd_seed(2), 0, 3, x, a);
    memcpy(w, x, sizeof x);
    fd_sampler how = { .p = &p, .model = m, .scheme = FD_DDIM };
    fd_eci_step(&p, &m, g, y, .7, .4, 3, x, NULL, a);
    fd_advance(&how, .7, .4, 3, w, NULL, d, a);
    fd_project_denoised(g, &p, .4, 3, y, d, NULL, w, NULL, a);
    NEAR(test_maxdiff(36, x, w), 0, TOL(1e-13, 1e-5),
         "ECI with its own noise is the projected denoiser");
    fd_eci_step(&p, &m, g, y, .4, 0, 3, x, w, a);
    for (int i = 0; i < 3; i++)
        NEAR(fabs((double)x[12 * i + 3] - 1) + fabs((double)x[12 * i + 8] + .5), 0,
             TOL(1e-12, 1e-5), "the data are met");
    /* a process that differs by mode */
    m = fd_oracle_gauss(&a, &heat, NULL, C);
    how = (fd_sampler){ .p = &heat, .model = m, .scheme = FD_DDIM };
    memcpy(w, x, sizeof x);
    fd_eci_step(&heat, &m, NULL, NULL, 1, .8, 3, x, NULL, a);
    fd_advance(&how, 1, .8, 3, w, NULL, d, a);
    NEAR(test_maxdiff(36, x, w), 0, TOL(1e-13, 1e-5), "without data it is DDIM");
    OK(!st.code, "ECI: %s", st.code ? st.what : "");
    fd_eci_step(&p, &m, g, y, .4, .4, 3, x, w, a);
    OK(st.code == FD_EARG, "ECI: times must fall");
    st.code = 0;
    fd_obs_noise(&a, &o, .1);
    g = fd_gain_new(&a, &o, C, NULL);
    fd_eci_step(&p, &m, g, y, .4, .3, 3, x, w, a);
    OK(st.code == FD_EARG, "ECI: no noisy data");
}

typedef struct { const fd_cov *c; fd_potential phi; double sigma, h; int plain; } daps_ctx;

/* state: x [n], hat [n] */
static void daps_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    const daps_ctx *d = self;
    const int n = (int)d->c->s.points;
    fd_real *u = fd_raw(&a, fd_real, b * n), *v = fd_raw(&a, fd_real, b * n),
        *xi = fd_raw(&a, fd_real, b * n);
    if (!xi) return;
    for (int i = 0; i < b * n; i++) {
        u[i] = (fd_real)x[i / n * 2 * n + i % n], v[i] = (fd_real)x[i / n * 2 * n + n + i % n];
        xi[i] = (fd_real)(sqrt(d->c->lam[i % n]) * z[i]);
    }
    fd_from_modes(&d->c->s, b, xi, xi, a);
    fd_daps_step(d->c, &d->phi, d->sigma, d->h, d->plain, b, v, u, xi, a);
    for (int i = 0; i < b * n; i++) x[i / n * 2 * n + i % n] = (double)u[i];
}

/* What a value at the middle moves, in the end: against kriging with N(hat, sigma^2 C) before. */
static void daps_pull(fd_arena all)
{
    static const double said[] = { .923, .962, .981, .991 };
    for (int n = 16, k = 0; n <= 128; n *= 2, k++)
        for (int bare = 0; bare < 2; bare++) {
            fd_arena a = all;
            fd_space s = cells(&a, n);
            fd_cov *C = fd_cov_kernel(&a, &s, kernel_at, &smooth3);
            ptrdiff_t at = n / 2;
            double y = 1, dd = 0, w2 = 0, sigma = .8, pull;
            fd_obs o = fd_obs_pick(&a, &s, 1, &at);
            fd_obs_noise(&a, &o, sqrt(.05));
            fd_potential phi = fd_obs_potential(&a, &o, &y);
            fd_real *hat = fd_new(&a, fd_real, n), *x = fd_new(&a, fd_real, n),
                *e = fd_new(&a, fd_real, n);
            for (int i = 0; i < 400; i++)
                fd_daps_step(C, &phi, sigma, .03, bare, 1, hat, x, NULL, a);
            e[at] = (fd_real)n;
            fd_cov_pow(C, 1, 1, e, e, a);                            /* c(., x_at) */
            pull = sigma * sigma / (.05 + sigma * sigma * (double)e[at]);
            for (int i = 0; i < n; i++)
                dd += pow((double)x[i] - pull * (double)e[i], 2), w2 += pow(pull * (double)e[i], 2);
            OK(!all.st->code, "DAPS: %s", all.st->code ? all.st->what : "");
            NEAR(sqrt(dd / w2), bare ? said[k] : 0, bare ? 6e-4 : TOL(1e-10, 1e-4),
                 "DAPS, plain %d, n = %d: missed", bare, n);
        }
}

/* A level is its parts; what it does not take. */
static void daps_parts(const fd_cov *C, fd_potential phi, fd_arena a)
{
    enum { N = 8 };
    fd_process p = fd_vp(C, .1, 20);
    fd_real m0[N], x[2 * N], w[2 * N], h[2 * N], xi[2 * N], q[2 * N];
    for (int i = 0; i < N; i++) m0[i] = (fd_real)cos(3. * i / N);
    double t[4] = { .6, .4, .2, .05 }, next = .5, nb[2] = { .5, .5 };
    fd_daps level = { { .p = &p, .model = fd_oracle_gauss(&a, &p, m0, C), .t = t, .steps = 3,
                        .scheme = FD_PF_HEUN, .denoise = 1 }, phi, 5, .004, 0 };
    fd_cov_draw(C, fd_seed(9), 0, 2, x, a);
    memcpy(w, x, sizeof x);
    fd_daps_level(&level, next, fd_seed(3), 4, 2, x, a);
    for (int k = 0; k < 3; k++) fd_advance(&level.how, t[k], t[k + 1], 2, w, NULL, NULL, a);
    fd_predict(&level.how.model, FD_X0, &p, 2, w, (double[]){ t[3], t[3] }, h, a);
    memcpy(w, h, sizeof h);
    for (int k = 0; k < 5; k++) {
        fd_cov_draw(C, fd_stream(fd_seed(3), 'd', (uint32_t)k), 4, 2, xi, a);
        fd_coef f = fd_law(&p, .6, 0);
        fd_daps_step(C, &phi, sqrt(f.v) / f.m, .004, 0, 2, h, w, xi, a);
    }
    fd_perturb(&p, fd_stream(fd_seed(3), 'd', 5), 4, 2, w, nb, q, NULL, a);
    OK(!a.st->code && !memcmp(x, q, sizeof x), "a level of DAPS: %s", a.st->code ? a.st->what : "");
    level.how.scheme = FD_ANCESTRAL;
    fd_daps_level(&level, next, fd_seed(3), 4, 2, x, a);
    OK(a.st->code == FD_EARG && !memcmp(x, q, sizeof x), "DAPS by a sampler with noise");
    a.st->code = 0, level.how.scheme = FD_PF_HEUN, level.h = 0;
    fd_daps_level(&level, next, fd_seed(3), 4, 2, x, a);
    OK(a.st->code == FD_EARG && !memcmp(x, q, sizeof x), "DAPS without a step");
    a.st->code = 0, level.h = 1e6, level.inner = 50;
    fd_daps_level(&level, next, fd_seed(3), 4, 2, x, a);
    OK(a.st->code == FD_ENAN && !memcmp(x, q, sizeof x), "DAPS with a step that is too long");
}

static void daps(void)
{
    fd_status st;
    fd_arena all = test_arena(1 << 25, &st);
    daps_pull(all);
    /* the law of a level's dynamics: C O6 with the prior N(hat, sigma^2 C), and kriging */
    enum { N = 8, M = 2, S = 2 * N };
    static const double y[M] = { 1, -.7 };
    static const ptrdiff_t at[M] = { 2, 6 };
    fd_arena a = all;
    fd_space s = cells(&a, N);
    fd_cov *C = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    daps_ctx d = { C, fd_obs_potential(&a, &o, y), .7, .004, 0 };
    double K[N * N], P[N * N], T[N * N], U[N * N], want[N * N], pull[N], mean[S], cov[S * S],
        hat[N], A[M * N] = { 0 };
    matrix_of(C, N, K, a);
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    for (int i = 0; i < N; i++) hat[i] = cos(3. * i / N);
    memcpy(P, K, sizeof P);
    inverse(N, P, a);
    for (int i = 0; i < N * N; i++) P[i] /= d.sigma * d.sigma;
    for (int i = 0; i < M; i++) P[at[i] * (N + 1)] += 1 / .05;
    for (int i = 0; i < N; i++) pull[i] = 0;                         /* mean_inf: kriging */
    memcpy(want, K, sizeof K);
    for (int i = 0; i < N * N; i++) want[i] *= d.sigma * d.sigma;
    memcpy(pull, hat, sizeof pull);
    krige(N, M, A, (double[]){ .05, 0, 0, .05 }, y, pull, want, a);
    double F[N * N], e[N], G[N * N], V[N * N], Fk[N * N];
    times(N, K, P, T);
    for (int i = 0; i < N * N; i++)
        F[i] = (i % (N + 1) == 0) - d.h * T[i], Fk[i] = i % (N + 1) == 0;
    /* Cov_inf = (P - h/2 P K P)^-1 */
    times(N, P, K, T), times(N, T, P, U);
    for (int i = 0; i < N * N; i++) V[i] = P[i] - .5 * d.h * U[i];
    for (int i = 0; i < N; i++) for (int j = 0; j < i; j++)
        V[i * N + j] = V[j * N + i] = .5 * (V[i * N + j] + V[j * N + i]);
    inverse(N, V, a);
    memset(cov, 0, sizeof cov);
    for (int i = 0; i < N; i++) mean[i] = mean[N + i] = hat[i];
    for (int k = 1; k <= 40; k++) {
        double bad = fd_affine_law(daps_step, &d, S, N, mean, cov, a);
        if (k == 1) NEAR(bad, 0, TOL(1e-10, 1e-4), "DAPS's step is affine");
        times(N, F, Fk, T), memcpy(Fk, T, sizeof T);
        if (k != 1 && k != 40) continue;
        for (int i = 0; i < N; i++) {
            e[i] = pull[i];
            for (int j = 0; j < N; j++) e[i] += Fk[i * N + j] * (hat[j] - pull[j]);
            NEAR(mean[i], e[i], TOL(1e-10, 1e-3), "DAPS, %d steps: mean", k);
        }
        times(N, Fk, V, T);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                G[i * N + j] = V[i * N + j];
                for (int c = 0; c < N; c++) G[i * N + j] -= T[i * N + c] * Fk[j * N + c];
                NEAR(cov[i * S + j], G[i * N + j], TOL(1e-9, 2e-3), "DAPS, %d steps: covariance",
                     k);
            }
    }
    daps_parts(C, d.phi, a);
}

/* --- what cannot be, and what is not there --- */

/* observations that ask for nothing, or of what their space does not have */
static void no_observations(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, 8), two = fd_grid(&a, 2, (int[]){ 8, 8 }, NULL, NULL, 1);
    const fd_space pair = fd_grid(&a, 1, (int[]){ 8 }, NULL, (int[]){ FD_NEUMANN }, 2);
    const fd_space far = fd_grid(&a, 1, (int[]){ 8 }, (double[]){ 2 }, (int[]){ FD_NEUMANN }, 1);
    const fd_space ring = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 1), none = { .nd = 0 };
    fd_real x[8] = { 0 }, basis[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const fd_space dense = fd_dense(NULL, 8, 1, basis, basis, 1);
    fd_space many = s;
    const double place = .4, half = -.1, mul[8] = { 1, 1, NAN, 1, 1, 1, 1, 1 };
    many.points = many.modes = (ptrdiff_t)1 << 31;
    SAYS(fd_obs_points(&a, &s, 0, &place, NULL), FD_EARG, "fd_obs_points: needs observations");
    SAYS(fd_obs_points(&a, &s, 1, NULL, NULL), FD_EARG, "fd_obs_points: needs observations");
    SAYS(fd_obs_points(&a, &dense, 1, &place, NULL), FD_EARG, "fd_obs_points: needs observations");
    SAYS(fd_obs_boxes(&a, &s, 1, &place, &half, NULL), FD_EARG, "half width is negative");
    SAYS(fd_obs_boxes(&a, &s, 1, &place, mul + 2, NULL), FD_EARG, "half width is negative");
    SAYS(fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ -1 }), FD_EARG, "no such value");
    SAYS(fd_obs_pick(&a, &s, 1, NULL), FD_EARG, "fd_obs_pick: needs observations");
    SAYS(fd_obs_pick(&a, &s, 0, (ptrdiff_t[]){ 1 }), FD_EARG, "fd_obs_pick: needs observations");
    SAYS(fd_obs_matrix(&a, &s, 1, NULL), FD_EARG, "fd_obs_matrix: needs observations");
    SAYS(fd_obs_functions(&a, &s, 1, NULL), FD_EARG, "fd_obs_functions: needs observations");
    SAYS(fd_obs_coarse(&a, &s, &two), FD_ESHAPE, "grids of other axes");
    SAYS(fd_obs_coarse(&a, &s, &pair), FD_ESHAPE, "grids of other axes");
    SAYS(fd_obs_coarse(&a, &s, &far), FD_ESHAPE, "grids of other axes");
    SAYS(fd_obs_coarse(&a, &s, &ring), FD_ESHAPE, "grids of other axes");
    SAYS(fd_obs_coarse(&a, &dense, &s), FD_ESHAPE, "grids of other axes");
    SAYS(fd_obs_coarse(&a, &s, &many), FD_EARG, "fd_obs_coarse: too many points");
    SAYS(fd_obs_modal(&a, &dense, mul), FD_EARG, "needs a grid and factors");
    SAYS(fd_obs_modal(&a, &s, NULL), FD_EARG, "needs a grid and factors");
    SAYS(fd_obs_modal(&a, &many, mul), FD_EARG, "needs a grid and factors");
    SAYS(fd_obs_modal(&a, &s, mul), FD_EDATA, "a factor is not finite; mode: 2");
    /* on spaces that failed, and after a failure: nothing, and no word of it */
    for (int i = 0; i < 3; i++) {
        const fd_space *z = i == 0 ? NULL : i == 1 ? &none : &s;
        if (i == 2) FD_FAIL(&st, FD_EIO, "here", "before");
        OK(!fd_obs_points(&a, z, 1, &place, NULL).m && !fd_obs_boxes(&a, z, 1, &place, NULL, NULL).m
           && !fd_obs_coarse(&a, z, &s).m && !fd_obs_coarse(&a, &s, z).m
           && !fd_obs_modal(&a, z, mul).m
           && !fd_obs_matrix(&a, z, 1, x).m && st.code == (i == 2 ? FD_EIO : FD_OK),
           "nothing to see, %d: %s", i, explain(&st));
    }
    test_free();
}

/* noise that an observation cannot have, and observations without it */
static void no_noise(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, 8);
    const double no_sd[2] = { .1, 0 }, flat[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 1, 3 }), blur = fd_obs_modal(&a, &s, flat);
    fd_obs empty = { .m = 0 }, was = o;
    SAYS(fd_obs_noise_each(&a, &blur, flat), FD_EARG, "fd_obs_modal has one standard deviation");
    SAYS(fd_obs_noise_cov(&a, &blur, flat), FD_EARG, "fd_obs_modal has one standard deviation");
    SAYS(fd_obs_noise_each(&a, &o, no_sd), FD_EDATA, "not positive and finite; observation: 1");
    SAYS(fd_obs_noise_cov(&a, &o, (double[]){ 1, 2, 2, 1 }), FD_EDATA, "not positive definite");
    SAYS(fd_obs_noise(&a, &o, -1), FD_EDATA, "fd_obs_noise");
    fd_obs_noise(&a, &empty, 1), fd_obs_noise_each(&a, &empty, flat);
    fd_obs_noise_cov(&a, &empty, flat);
    fd_obs_noise_each(&a, &o, NULL), fd_obs_noise_cov(&a, &o, NULL);
    FD_FAIL(&st, FD_EIO, "here", "before");
    fd_obs_noise(&a, &o, 1), fd_obs_noise_each(&a, &o, flat);
    fd_obs_noise_cov(&a, &o, (double[]){ 1, 0, 0, 1 });
    OK(!empty.sd && !empty.each && !empty.chol && o.sd == was.sd && o.each == was.each
       && o.chol == was.chol && st.code == FD_EIO, "no noise");
    st.code = FD_OK;
    const double y[2] = { 7, 7 };
    SAYS(fd_obs_potential(&a, &o, y), FD_EARG, "no noise, so there is no likelihood");
    SAYS(fd_obs_potential(&a, &o, NULL), FD_EARG, "needs the numbers that were observed");
    test_free();
}

/* after a failure, and then without one argument, nothing is observed, and no word of it said */
static void nothing_observed(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_space s = cells(&a, 8);
    const fd_obs o = fd_obs_pick(&a, &s, 2, (ptrdiff_t[]){ 1, 3 }), empty = { .m = 0 };
    const fd_real x[8] = { 0 };
    double y[2] = { 7, 7 };
    fd_real g[8] = { 7 };
    FD_FAIL(&st, FD_EIO, "here", "before");
    for (int i = 0; i < 5; i++) {
        const fd_obs *q = i == 1 ? NULL : i == 2 ? &empty : &o;
        fd_obs_draw(q, fd_seed(1), 0, 1, i == 3 ? NULL : x, i == 4 ? NULL : y, a);
        if (i < 3) fd_obs_adjoint(q, 1, NULL, y, g, a);
        if (i == 3) fd_obs_adjoint(q, 1, NULL, NULL, g, a);
        if (i == 4) fd_obs_adjoint(q, 1, NULL, y, NULL, a);
        if (i < 4) OK(isnan(fd_obs_check(q, i == 3 ? NULL : x, fd_seed(1), a))
                      && isnan(fd_obs_misfit(q, y, i == 3 ? NULL : x, NULL, a)), "%d", i);
        OK(y[0] == 7 && g[0] == 7, "nothing of nothing, %d", i);
        st.code = FD_OK;
    }
    test_free();
}

/* The small problem, a process, the exact score and a sampler; and what does not go with them: m
 * and v of each mode, a process on other points, observations without noise, and of an F that is
 * not linear. */
typedef struct {
    small q;
    fd_process p, heat, other;
    fd_model m;
    fd_sampler how;
    fd_obs quiet, bent;
} methods;

static void methods_new(methods *w, fd_arena *a)
{
    static const double t[3] = { 1, .5, .1 };
    small_new(&w->q, a, .05);
    const fd_space fine = cells(a, SN + 1);
    w->p = fd_vp(w->q.c0, .1, 20);
    w->heat = fd_heat(w->q.c0, 1, .02, NULL, NULL, 2);
    w->other = fd_vp(fd_cov_on(a, w->q.c0, &fine), .1, 20);
    w->m = fd_oracle_gauss(a, &w->p, w->q.m0, w->q.c0);
    w->how = (fd_sampler){ .p = &w->p, .model = w->m, .t = t, .steps = 2, .scheme = FD_ANCESTRAL };
    w->quiet = fd_obs_pick(a, &w->q.s, SM, (ptrdiff_t[]){ 2, 6 });
    w->bent = w->q.o;
    w->bent.linear = 0;
}

/* gains of what does not go together */
static void no_gains(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    methods w;
    methods_new(&w, &a);
    const small *const q = &w.q;
    const fd_obs empty = { .m = 0 };
    const fd_space far = fd_grid(&a, 1, (int[]){ SN }, (double[]){ 2 }, (int[]){ FD_NEUMANN }, 1);
    fd_cov *on_far = fd_cov_matern(&a, &far, 1, .3, 1.5);
    const double flat[SN] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const fd_obs blur = fd_obs_modal(&a, &q->s, flat);
    SAYS(fd_gain_new(&a, &q->o, w.other.noise, NULL), FD_ESHAPE, "covariance and observation have");
    SAYS(fd_gain_new(&a, &blur, on_far, NULL), FD_ESHAPE, "covariance and observation have");
    SAYS(fd_gain_new(&a, &w.bent, q->c0, NULL), FD_EARG, "needs a function to linearise at");
    OK(!fd_gain_new(&a, NULL, q->c0, NULL) && !fd_gain_new(&a, &empty, q->c0, NULL)
       && !fd_gain_new(&a, &q->o, NULL, NULL) && !st.code, "no gain of nothing");
    test_free();
}

/* steps that a gain, a process or times do not allow */
static void no_steps(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    methods w;
    methods_new(&w, &a);
    const small *const q = &w.q;
    const double *const y = q->y, one = 1;
    const fd_process *const p = &w.p;
    const fd_gain *g = fd_gain_new(&a, &q->o, q->c0, NULL);
    const fd_gain *still = fd_gain_new(&a, &w.quiet, q->c0, NULL);
    const fd_gain *curved = fd_gain_new(&a, &w.bent, q->c0, q->m0);
    if (!curved) { OK(0, "%s", explain(&st)); return; }
    fd_sampler how = w.how;
    fd_real x[SN] = { 7 };
    double z[SM] = { 7, 7 }, e[SM] = { 7, 7 };
    SAYS(fd_gain_condition(curved, 1, 1, y, NULL, x, a), FD_EARG, "linear");
    SAYS(fd_posterior_new(&a, NULL, q->c0, &w.bent, y), FD_EARG, "linear");
    SAYS(fd_posterior_new(&a, NULL, q->c0, &q->o, NULL), FD_EARG, "needs the numbers");
    SAYS(fd_oracle_posterior(&a, p, 1, NULL, NULL, (const fd_cov *[]){ q->c0 }, &w.bent, y),
         FD_EARG, "linear");
    SAYS(fd_project(g, 1, y, x, NULL, a), FD_EARG, "fd_project");
    SAYS(fd_project(still, 1, y, x, e, a), FD_EARG, "fd_project");
    SAYS(fd_project(curved, 1, y, x, e, a), FD_EARG, "linear");
    SAYS(fd_project_flat(&w.bent, 1, y, x, a), FD_EARG, "linear");
    SAYS(fd_project_denoised(g, p, .5, 1, y, x, NULL, x, NULL, a), FD_EARG, "fd_project_denoised");
    SAYS(fd_path_move(g, p, 0, 1, .5, 1, y, NULL, z, a), FD_EARG, "no such path: 0");
    SAYS(fd_path_move(g, p, 4, 1, .5, 1, y, NULL, z, a), FD_EARG, "no such path: 4");
    SAYS(fd_path_move(g, p, FD_PATH_FRESH, .5, .5, 1, y, NULL, z, a), FD_EARG, "times must fall");
    SAYS(fd_noise_step(&how, &w.quiet, .5, .4, 1, e, NULL, NULL, a), FD_EARG, "needs noise, and");
    how.p = &w.heat;
    SAYS(fd_noise_step(&how, &q->o, .5, .4, 1, e, NULL, NULL, a), FD_EARG, "needs noise, and");
    SAYS(fd_ucos(&a, g, &w.heat, y, w.m), FD_EARG, "one m and v for all modes");
    SAYS(fd_ucos(&a, curved, p, y, w.m), FD_EARG, "linear");
    SAYS(fd_ucos(&a, g, p, NULL, w.m), FD_EARG, "needs the numbers");
    SAYS(fd_ucos_noise(g, &w.heat, fd_seed(1), 0, 1, &one, x, a), FD_EARG,
         "one m and v for all modes");
    SAYS(fd_eci_step(p, &w.m, still, NULL, .5, .4, 1, x, NULL, a), FD_EARG, "takes numbers y");
    SAYS(fd_eci_step(p, &w.m, fd_gain_new(&a, &(fd_obs){ 0 }, q->c0, NULL), NULL, .4, .5, 1, x,
                     NULL, a), FD_EARG, "times must fall");
    SAYS(fd_eci_step(&w.other, &w.m, still, y, .5, .4, 1, x, NULL, a), FD_ESHAPE,
         "different points");
    OK(x[0] == 7 && z[0] == 7 && e[0] == 7, "nothing was written");
    test_free();
}

/* after a failure, and without one argument, nothing happens */
static void nothing_gained(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    methods w;
    methods_new(&w, &a);
    const small *const q = &w.q;
    const double *const y = q->y, one = 1;
    fd_process bare = w.p;
    const fd_obs empty = { .m = 0 };
    fd_gain *const made = fd_gain_new(&a, &q->o, q->c0, NULL);
    fd_sampler how = w.how;
    fd_real x[SN] = { 7 };
    double z[SM] = { 7, 7 }, e[SM] = { 7, 7 };
    bare.law = NULL;
    FD_FAIL(&st, FD_EIO, "here", "before");
    for (int i = 0; i < 4; i++) {
        const fd_gain *g = i == 1 ? NULL : made;
        const fd_obs *o = i == 1 ? NULL : i == 2 ? &empty : &q->o;
        const fd_process *p = i == 2 ? &bare : &w.p;
        how.p = i == 3 ? NULL : p;
        if (i < 2) fd_gain_add(g, 1, 1, z, x, a), fd_gain_condition(g, 1, 1, y, NULL, x, a);
        if (i == 1) fd_gain_solve(g, 1, 1, 1, y, z, a);
        if (i == 2) fd_gain_solve(g, 1, 1, 1, NULL, z, a), fd_gain_add(g, 1, 1, NULL, x, a);
        if (i == 2) fd_gain_condition(g, 1, 1, NULL, NULL, x, a);
        if (i == 3) fd_gain_solve(g, 1, 1, 1, y, NULL, a), fd_gain_add(g, 1, 1, z, NULL, a);
        if (i == 3) fd_gain_condition(g, 1, 1, y, NULL, NULL, a);
        if (i < 2) OK(isnan(fd_gain_logdet(g, 1, 1, a)), "no determinant");
        if (i < 2) fd_project(g, 1, y, x, e, a);
        if (i < 3) fd_project_flat(o, 1, y, x, a);
        if (i < 3) fd_path_move(g, p, FD_PATH_MEAN, 1, .5, 1, y, NULL, z, a);
        fd_noise_step(&how, o, .5, .4, 1, e, NULL, NULL, a);
        if (i < 3) OK(!fd_ucos(&a, g, p, y, w.m).eval, "no UCoS");
        if (i < 3) fd_ucos_noise(g, p, fd_seed(1), 0, 1, &one, x, a);
        OK(x[0] == 7 && z[0] == 7 && e[0] == 7, "nothing of nothing, %d", i);
        OK(st.code == (i ? FD_OK : FD_EIO), "%d: %s", i, explain(&st));
        st.code = FD_OK;
    }
    fd_posterior *post = fd_posterior_new(&a, NULL, q->c0, &q->o, y);
    fd_posterior_draw(NULL, fd_seed(1), 0, 1, x, a);
    fd_posterior_draw(post, fd_seed(1), 0, 0, x, a);
    fd_posterior_draw(post, fd_seed(1), 0, 1, NULL, a);
    fd_posterior_std(NULL, x, a), fd_posterior_std(post, NULL, a);
    OK(x[0] == 7 && !st.code, "no draws");
    test_free();
}

static void no_guides(const methods *w, fd_arena a)
{
    static const struct { int code; const char *text; } rows[] = {
        { FD_EARG, "no such rule" },
        { FD_EARG, "no such rule" },
        { FD_EARG, "zeta is negative or not finite" },
        { FD_EARG, "zeta is negative or not finite" },
        { FD_EARG, "needs a model with vjp" },
        { FD_EARG, "needs a model with vjp" },
        { FD_ESHAPE, "noise and observation have different points" } };
    const fd_guide good = { &w->p, w->m, &w->q.o, w->q.y, FD_GUIDE_DPS, .3, 0 };
    for (int i = 0; i < 7; i++) {
        fd_guide bad = good;
        if (i == 0) bad.rule = 0;
        if (i == 1) bad.rule = 4;
        if (i == 2) bad.zeta = -1;
        if (i == 3) bad.zeta = INFINITY;
        if (i == 4) bad.model.vjp = NULL;
        if (i == 5) bad.model.eval = NULL;
        if (i == 6) bad.p = &w->other;
        SAYS(fd_guided(&a, &bad), rows[i].code, rows[i].text);
    }
    fd_process bare = w->p;
    fd_guide empty = good;
    bare.law = NULL;
    empty.p = &bare;
    OK(!fd_guided(&a, &empty).eval && !a.st->code, "no guide of no process");
}

static void no_particles(const methods *w, fd_arena a)
{
    const fd_guide good = { &w->p, w->m, &w->q.o, w->q.y, FD_GUIDE_DPS, .3, 0 };
    for (int i = 0; i < 8; i++) {
        fd_sampler bad = w->how;
        fd_guide guide = good;
        if (i == 0) bad.p = &w->heat, bad.model = fd_oracle_gauss(&a, &w->heat, w->q.m0, w->q.c0);
        if (i == 1) bad.scheme = FD_PF_HEUN;
        if (i == 2) bad.corrector = FD_CORRECT_SNR, bad.cprm = .1;
        if (i == 3) bad.churn = .1;
        if (i == 4) bad.scheme = FD_ANCESTRAL_OPTIMAL;
        if (i == 5) guide.o = &w->quiet;
        if (i == 6) guide.o = &w->bent;
        if (i == 7) guide.y = NULL;
        SAYS(OK(!fd_particles_begin(&a, &bad, &guide, fd_seed(1), 4), "%d", i), FD_EARG,
             i < 5 ? "plain one-stage scheme" : i == 5 ? "needs noisy" : i == 6 ? "linear"
             : "needs the numbers");
    }
    SAYS(fd_particles_begin(&a, &w->how, &good, fd_seed(1), 1), FD_EARG,
         "needs particles; number: 1");
    fd_particles_resample(NULL, a);
    OK(isnan(fd_particles_ess(NULL)) && isnan(fd_particles_evidence(NULL))
       && !fd_particles_step(NULL, a) && !a.st->code, "no particles");
}

static void no_released(const methods *w, fd_arena a)
{
    fd_real x[SN] = { 7 };
    fd_released g = { .how = w->how, .o = &w->q.o, .y = NULL, .rule = FD_FUNDPS, .zeta = 1 };
    SAYS(fd_released_step(&g, 0, 1, x, a), FD_EARG, "needs the numbers");
    g.y = w->q.y, g.how.scheme = -1;
    SAYS(fd_released_step(&g, 0, 1, x, a), FD_EARG, "no such scheme");
    g.how = w->how, g.how.t = (double[]){ .1, .5, 1 };
    SAYS(fd_released_step(&g, 0, 1, x, a), FD_EARG, "times must fall");
    g.how = w->how, g.how.p = &w->other;
    g.how.model = fd_oracle_gauss(&a, &w->other, NULL, w->other.noise);
    SAYS(fd_released_step(&g, 0, 1, x, a), FD_ESHAPE, "different points");
    g.how = w->how;
    fd_released_step(&g, 0, 1, NULL, a);
    OK(x[0] == 7 && !a.st->code, "no function");
}

static void no_chains(const methods *w, fd_arena a)
{
    const fd_potential none = { NULL, NULL };
    const fd_mcmc fine = { .prior = w->q.c0, .phi = fd_obs_potential(&a, &w->q.o, w->q.y),
                           .kind = FD_MCMC_HMC, .h = .1 };
    const fd_real x[SN] = { 7 }, endless[SN] = { 0, 0, INFINITY };
    for (int i = 0; i < 4; i++) {
        fd_mcmc bad = fine;
        if (i == 0) bad.leaps = -1;
        if (i == 1) bad.adapt = -1;
        if (i == 2) bad.prior = NULL;
        if (i == 3) bad.phi = none;
        SAYS(OK(!fd_chain_begin(&a, &bad, fd_seed(1), 0, NULL), "%d", i), i < 2 ? FD_EARG : FD_OK,
             i < 2 ? "leaps or adapt is negative" : "");
        if (i == 2) OK(!fd_chain_resume(&a, &bad, fd_seed(1), 0, x, 1, .1, 0, 1), "no prior");
    }
    SAYS(fd_chain_begin(&a, &fine, fd_seed(1), 0, endless), FD_ENAN, "where the chain starts");
    SAYS(fd_chain_resume(&a, &fine, fd_seed(1), 0, endless, 1, .1, 0, 1), FD_ENAN,
         "where the chain is");
    SAYS(fd_chain_resume(&a, &fine, fd_seed(1), 0, x, 1, .1, -1, 1), FD_EARG, "no state");
    OK(!fd_chain_resume(&a, &fine, fd_seed(1), 0, NULL, 1, .1, 0, 1) && !a.st->code, "no state");
}

/* Langevin dynamics, alone and within DAPS, and the latent posterior */
static void no_dynamics(const methods *w, fd_arena a)
{
    const fd_cov *const c = w->q.c0;
    const fd_real *const m0 = w->q.m0;
    const fd_potential phi = fd_obs_potential(&a, &w->q.o, w->q.y), none = { NULL, NULL };
    fd_sampler flow = w->how;
    fd_real x[SN] = { 7 };
    flow.scheme = FD_DDIM;
    fd_langevin(&w->p, &w->m, &none, .5, .1, 1, 1, x, NULL, a);
    fd_langevin_implicit(NULL, NULL, &phi, .1, 1, x, NULL, a);
    fd_langevin_implicit(c, NULL, &none, .1, 1, x, NULL, a);
    fd_daps_step(NULL, &phi, 1, .1, 0, 1, m0, x, x, a);
    fd_daps_step(c, &none, 1, .1, 0, 1, m0, x, x, a);
    fd_daps_step(c, &phi, 1, .1, 0, 1, NULL, x, x, a);
    fd_daps d = { .how = flow, .phi = phi, .inner = -1, .h = .1 };
    SAYS(fd_daps_level(&d, .4, fd_seed(1), 0, 1, x, a), FD_EARG, "inner not negative; inner: -1");
    d.inner = 1, d.how.p = &w->heat, d.how.model = fd_oracle_gauss(&a, &w->heat, m0, c);
    SAYS(fd_daps_level(&d, .4, fd_seed(1), 0, 1, x, a), FD_EARG, "one m and v for all modes");
    d.how = flow, d.how.steps = 0;
    SAYS(fd_daps_level(&d, .4, fd_seed(1), 0, 1, x, a), FD_EARG, "needs steps and times");
    d.how = flow;
    fd_daps_level(&d, .4, fd_seed(1), 0, 1, NULL, a);
    d.phi = none;
    fd_daps_level(&d, .4, fd_seed(1), 0, 1, x, a);
    OK(x[0] == 7 && !a.st->code, "nothing of nothing: %s", explain(a.st));
    flow.scheme = -1;
    SAYS(fd_latent_potential(&a, &flow, &phi), FD_EARG, "no such scheme");
}

/* Levy processes, and diagnostics of chains */
static void no_sweeps(const methods *w, fd_arena a)
{
    static const struct { fd_levy p; int n; } wrong[] = {
        { { 0, 1, 1, 1, .5 }, 2 }, { { 4, 1, 1, 1, .5 }, 2 },
        { { FD_LEVY_LAPLACE, 0, 1, 1, .5 }, 2 },
        { { FD_LEVY_LAPLACE, 1, 0, 1, .5 }, 2 }, { { FD_LEVY_STUDENT, 1, 1, 0, .5 }, 2 },
        { { FD_LEVY_BERNOULLI, 1, 1, 1, 0 }, 2 }, { { FD_LEVY_BERNOULLI, 1, 1, 1, 1 }, 2 },
        { { FD_LEVY_LAPLACE, 1, 1, 1, .5 }, 1 }, { { FD_LEVY_LAPLACE, 1, 1, 1, .5 }, 0 } };
    const double *const y = w->q.y;
    double ones[SN] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    fd_real x[SN] = { 7 };
    for (int i = 0; i < 9; i++) {
        const fd_space s = cells(&a, wrong[i].n == 1 ? 1 : SN);
        fd_obs o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 0 });
        if (wrong[i].n) fd_obs_noise(&a, &o, .1);
        SAYS(fd_levy_sweep(&wrong[i].p, &o, y, fd_seed(1), 0, ones, x, a), FD_EARG,
             "needs one channel");
    }
    const fd_space pair = fd_grid(&a, 1, (int[]){ 4 }, NULL, (int[]){ FD_NEUMANN }, 2);
    fd_obs o = fd_obs_pick(&a, &pair, 1, (ptrdiff_t[]){ 0 });
    fd_obs_noise(&a, &o, .1);
    SAYS(fd_levy_sweep(&wrong[7].p, &o, y, fd_seed(1), 0, ones, x, a), FD_EARG,
         "needs one channel");
    SAYS(fd_levy_sweep(&wrong[7].p, &w->bent, y, fd_seed(1), 0, ones, x, a), FD_EARG, "linear");
    OK(x[0] == 7, "no sweep");
    OK(isnan(fd_rhat(0, 10, ones, a)) && isnan(fd_rhat(1, 0, ones, a))
       && isnan(fd_rhat(1, 8, NULL, a)) && isnan(fd_ess(1, 8, NULL, a))
       && isnan(fd_iact(8, NULL, a)), "no series");
}

static void no_methods(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    methods w;
    methods_new(&w, &a);
    no_guides(&w, a);
    no_particles(&w, a);
    no_released(&w, a);
    no_chains(&w, a);
    no_dynamics(&w, a);
    no_sweeps(&w, a);
    test_free();
}

/* --- two ways to say the same --- */

static double no_phi(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                     fd_arena scratch)
{
    (void)self, (void)x, (void)scratch;
    if (g) memset(g, 0, (size_t)fd_size(s) * sizeof *g);
    return 0;
}

/* 0 where the chain starts, and nowhere else */
static double once_phi(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                       fd_arena scratch)
{
    (void)s, (void)x, (void)g, (void)scratch;
    int *const calls = *(int *const *)self;
    return (*calls)++ ? INFINITY : 0;
}

/* B functions of the small problem, and moves of them and of their noise */
enum { PAIR = 2 };
typedef struct {
    methods w;
    fd_real x[PAIR * SN], d[PAIR * SN];
    double t[PAIR];
} alike;

/* The same noise said in two ways gives the same numbers: a covariance that is diagonal, and one
 * standard deviation each. */
static void alike_noise(const alike *k, fd_arena a)
{
    static const double cov[SM * SM] = { .04, 0, 0, .09 }, sd[SM] = { .2, .3 };
    static const double de[PAIR * SM] = { .1, .2, -.3, .4 };
    const small *const q = &k->w.q;
    const double twice[PAIR * SM] = { q->y[0], q->y[1], q->y[0], q->y[1] };
    fd_real got[2][PAIR * SN];
    double e[2][PAIR * SM];
    for (int rule = FD_GUIDE_EXACT; rule <= FD_GUIDE_DPS + 2; rule++) {
        for (int i = 0; i < 2; i++) {
            fd_arena b = a;
            fd_obs o = q->o;
            if (i) fd_obs_noise_cov(&b, &o, cov); else fd_obs_noise_each(&b, &o, sd);
            const fd_gain *g = fd_gain_new(&b, &o, q->c0, NULL);
            memcpy(got[i], k->x, sizeof k->x);
            for (int j = 0; j < PAIR * SM; j++) e[i][j] = .1 * j - .2;
            if (rule <= FD_GUIDE_DPS) {
                fd_guide how = { &k->w.p, k->w.m, &o, q->y, rule, .5, 0 };
                fd_model y = fd_guided(&b, &how);
                y.eval(y.self, &q->s, PAIR, k->x, k->t, got[i], b);
            } else if (rule == FD_GUIDE_DPS + 1)
                fd_esmda(&o, q->y, 2, fd_seed(5), PAIR, got[i], b);
            else fd_project_denoised(g, &k->w.p, .5, PAIR, twice, k->d, de, got[i], e[i], b);
        }
        NEAR(test_maxdiff(PAIR * SN, got[0], got[1]), 0, TOL(1e-12, 1e-4), "noise, rule %d", rule);
        OK(test_maxdiff(PAIR * SN, got[0], k->x) > 1e-3, "it does something, rule %d", rule);
        for (int j = 0; j < PAIR * SM; j++) NEAR(e[0][j], e[1][j], 1e-6, "e, rule %d", rule);
    }
}

/* F(x) = x^2 at three points about x, said by its derivative, and by that as a matrix */
static void alike_slopes(const alike *k, fd_arena a)
{
    const small *const q = &k->w.q;
    fd_obs bent = { .s = q->s, .m = 3, .apply = squares, .transpose = squares_transpose };
    fd_real A[3 * SN] = { 0 }, got[2][SN];
    for (int i = 0; i < 3; i++) A[i * SN + 2 * i] = 2 * k->x[2 * i];
    fd_obs rows = fd_obs_matrix(&a, &q->s, 3, A);
    fd_obs_noise(&a, &bent, .1), fd_obs_noise(&a, &rows, .1);
    const fd_gain *g[2] = { fd_gain_new(&a, &bent, q->c0, k->x),
                            fd_gain_new(&a, &rows, q->c0, NULL) };
    if (!g[0] || !g[1]) { OK(0, "%s", explain(a.st)); return; }
    const double r[3] = { .3, -.1, .2 };
    double z[2][3];
    for (int i = 0; i < 2; i++) {
        memcpy(got[i], k->d, sizeof got[i]);
        fd_gain_solve(g[i], .7, 1, 1, r, z[i], a);
        fd_gain_add(g[i], .7, 1, z[i], got[i], a);
    }
    for (int i = 0; i < 3; i++)
        NEAR(z[0][i], z[1][i], TOL(1e-9, 1e-3) * fabs(z[1][i]), "solution %d where F is linearised",
             i);
    NEAR(test_maxdiff(SN, got[0], got[1]), 0, TOL(1e-10, 1e-4), "and what it adds");
    NEAR(fd_gain_logdet(g[0], .7, 1, a), fd_gain_logdet(g[1], .7, 1, a), TOL(1e-9, 1e-3),
         "determinant");
}

/* two functions at one time have the variance of one */
static void alike_variances(const alike *k, fd_arena a)
{
    const small *const q = &k->w.q;
    const fd_model post = fd_oracle_posterior(&a, &k->w.p, 1, NULL, q->m0,
                                              (const fd_cov *[]){ q->c0 }, &q->o, q->y);
    if (!post.var) { OK(0, "%s", explain(a.st)); return; }
    fd_real var[2][PAIR * SN];
    post.var(post.self, &q->s, PAIR, k->x, k->t, var[0], a);
    post.var(post.self, &q->s, 1, k->x, k->t, var[1], a);
    OK(!memcmp(var[0], var[1], SN * sizeof **var) && !memcmp(var[0] + SN, var[1], SN * sizeof **var)
       && var[0][0] > 0, "variance of two");
}

/* no potential is one of 0; no leaps are one; a chain stays where its slice has become empty */
static void alike_chains(const alike *k, fd_arena a)
{
    const small *const q = &k->w.q;
    const fd_real *const x = k->x;
    const fd_potential flat = { no_phi, NULL };
    fd_real xi[SN], got[2][SN];
    fd_cov_draw(q->c0, fd_seed(6), 0, 1, xi, a);
    for (int implicit = 0; implicit < 2; implicit++) {
        for (int i = 0; i < 2; i++) {
            const fd_potential *phi = i ? &flat : NULL;
            memcpy(got[i], x, SN * sizeof *x);
            if (implicit) fd_langevin_implicit(q->c0, NULL, phi, .1, 1, got[i], xi, a);
            else fd_langevin(&k->w.p, &k->w.m, phi, .5, .1, 1, 1, got[i], xi, a);
        }
        OK(!memcmp(got[0], got[1], SN * sizeof *x) && memcmp(got[0], x, SN * sizeof *x),
           "no potential, %d", implicit);
    }
    const fd_mcmc hmc = { .prior = q->c0, .phi = fd_obs_potential(&a, &q->o, q->y),
                          .kind = FD_MCMC_HMC, .h = .1, .leaps = 1 };
    fd_mcmc none = hmc;
    none.leaps = 0;
    fd_chain *one = fd_chain_begin(&a, &hmc, fd_seed(1), 0, x);
    fd_chain *no = fd_chain_begin(&a, &none, fd_seed(1), 0, x);
    for (int i = 0; i < 3; i++) fd_chain_step(one, a), fd_chain_step(no, a);
    OK(one && no && !memcmp(one->u, no->u, SN * sizeof *x) && one->accepted == no->accepted,
       "leaps");
    int calls = 0, *const counted = &calls;
    const fd_mcmc slice = { .prior = q->c0, .phi = { once_phi, &counted }, .kind = FD_MCMC_SLICE };
    fd_chain *stays = fd_chain_begin(&a, &slice, fd_seed(1), 0, x);
    OK(stays && !fd_chain_step(stays, a) && !memcmp(stays->u, x, SN * sizeof *x) && calls == 201,
       "an empty slice, %d calls: %s", calls, explain(a.st));
}

/* without the C in front, of white noise, the pull is less by the weight of a point */
static void alike_pulls(const alike *k, fd_arena a)
{
    enum { N = 9 };
    const fd_space odd = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov *white = fd_cov_white(&a, &odd, 1, 0), *smooth = fd_cov_exp(&a, &odd, 1, .3);
    fd_obs at = fd_obs_pick(&a, &odd, SM, (ptrdiff_t[]){ 2, 6 });
    const fd_process p = fd_vp(white, .1, 20);
    const fd_model m = fd_oracle_gauss(&a, &p, NULL, smooth);
    fd_real D[3][N];
    fd_obs_noise(&a, &at, .3);
    m.eval(m.self, &odd, 1, k->x, k->t, D[2], a);
    for (int i = 0; i < 2; i++) {
        fd_guide how = { &p, m, &at, k->w.q.y, FD_GUIDE_DPS, .3, i };
        fd_model y = fd_guided(&a, &how);
        if (y.eval) y.eval(y.self, &odd, 1, k->x, k->t, D[i], a);
    }
    for (int i = 0; i < N; i++)
        NEAR(((double)D[1][i] - (double)D[2][i]) / odd.h, ((double)D[0][i] - (double)D[2][i]),
             TOL(1e-12, 1e-4), "plain, %d", i);
}

/* particles: at the end their denoised states, where they are asked for */
static void alike_particles(const alike *k, fd_arena a)
{
    const fd_guide quiet = { .o = &k->w.q.o, .y = k->w.q.y };
    fd_sampler few = k->w.how;
    fd_particles *out[2];
    fd_real D[PAIR * SN];
    for (int i = 0; i < 2; i++) {
        few.denoise = i;
        out[i] = fd_particles_begin(&a, &few, &quiet, fd_seed(2), PAIR);
        while (fd_particles_step(out[i], a)) { }
        OK(!fd_particles_step(out[i], a) && out[i]->run->k == 2, "no step behind the end");
    }
    fd_predict(&k->w.m, FD_X0, &k->w.p, PAIR, out[0]->run->x, (double[]){ .1, .1 }, D, a);
    NEAR(test_maxdiff(PAIR * SN, D, out[1]->run->x), 0, TOL(1e-12, 1e-5), "denoised particles");
}

/* a path without z is its mean, and e is moved with or without a copy of D */
static void alike_paths(const alike *k, fd_arena a)
{
    const small *const q = &k->w.q;
    const fd_process *const p = &k->w.p;
    fd_sampler how = k->w.how;
    double path[2][SM] = { { 1, 2 }, { 1, 2 } }, e[2][SM] = { { .5, -.2 }, { .5, -.2 } }, copy[SM];
    fd_gain *bare = fd_gain_new(&a, &q->o, q->c0, NULL);
    fd_path_move(bare, p, FD_PATH_FRESH, 1, .5, 1, q->y, NULL, path[0], a);
    fd_path_move(bare, p, FD_PATH_MEAN, 1, .5, 1, q->y, NULL, path[1], a);
    OK(!memcmp(path[0], path[1], sizeof *path) && path[0][0] == fd_law(p, .5, 0).m * q->y[0],
       "a mean");
    how.scheme = FD_DDIM;
    for (int i = 0; i < 2; i++)
        fd_noise_step(&how, &q->o, .5, .4, 1, e[i], i ? NULL : copy, NULL, a);
    OK(e[0][0] == e[1][0] && e[0][1] == e[1][1] && e[0][0] != .5, "e");
}

static void alike_all(void)
{
    static alike k;
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    methods_new(&k.w, &a);
    fd_cov_draw(k.w.q.c0, fd_seed(3), 0, PAIR, k.x, a);
    fd_cov_draw(k.w.q.c0, fd_seed(4), 0, PAIR, k.d, a);
    for (int i = 0; i < PAIR; i++) k.t[i] = .5;
    alike_noise(&k, a);
    alike_slopes(&k, a);
    alike_variances(&k, a);
    alike_chains(&k, a);
    alike_pulls(&k, a);
    alike_particles(&k, a);
    alike_paths(&k, a);
    OK(!st.code, "%s", explain(&st));
    test_free();
}

void test_released(void)
{
    released();
    eci();
    daps();
}

void test_mcmc(void)
{
    langevin();
    langevin_mesh();
    mcmc_acceptance();
    mcmc_invariance();
    mcmc_ratios();
    mcmc_geweke();
    mcmc_ranks();
    mcmc_rest();
    latent_posterior();
    levy();
}

void test_ensembles(void)
{
    ucos();
    ucos_mixture();
    free_guided();
    one_pass();
    own_pass();
    split_gibbs();
    ensembles();
    ensembles_law();
    particles();
}

void test_posterior(void)
{
    observations();
    gains();
    posteriors();
    conditional();
    conditional_modes();
    conditional_scores();
    conditional_orders();
    projected_means();
    projections();
    denoisers();
    heat_samplers();
    guidance();
    no_observations();
    no_noise();
    nothing_observed();
    no_gains();
    no_steps();
    nothing_gained();
    no_methods();
    alike_all();
}
