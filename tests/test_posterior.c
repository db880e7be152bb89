/* test_posterior.c -- observations, exact posteriors, guidance, moves, Langevin dynamics and chains: against
 * dense algebra, and against the laws that samplers have exactly, step by step, for Gaussian data. */
#include "test.h"

enum { MOST = 128 };
typedef struct { double kind, ell; } kernel;                        /* kind: nu = 1/2 or 3/2 */

static double kernel_at(const double *x, const double *y, const void *prm)
{
    const kernel *k = prm;
    double r = fabs(x[0] - y[0]) / k->ell;
    return k->kind < 1 ? exp(-r) : (1 + sqrt(3) * r) * exp(-sqrt(3) * r);
}

static const kernel rough3 = { .5, .3 }, rough2 = { .5, .2 }, smooth3 = { 1.5, .3 }, smooth15 = { 1.5, .15 };

static fd_space cells(fd_arena *a, int n) { return fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1); }

/* --- dense algebra in double, to compare with --- */

static void matrix_of(const fd_cov *c, int n, double *K, fd_arena a)       /* Gram matrix c(x_i, x_j) */
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
static double krige(int n, int m, const double *A, const double *G, const double *y, double *mean, double *K,
                    fd_arena a)
{
    double *S = fd_new(&a, double, m * m), *KA = fd_new(&a, double, m * n), *r = fd_new(&a, double, m), logp = 0;
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
    for (int i = 0; i < m; i++) logp -= .5 * r[i] * r[i] + log(S[i * m + i]) + .5 * log(2 * acos(-1));
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

/* --- observations: adjoints by dot products, functionals on two grids --- */

static void adjoint_of(const fd_obs *o, const char *name, fd_arena a)
{
    const ptrdiff_t n = fd_size(&o->s);
    fd_real *x = fd_raw(&a, fd_real, 2 * n), *g = fd_raw(&a, fd_real, 2 * n);
    double *y = fd_raw(&a, double, 2 * (ptrdiff_t)o->m), *w = fd_raw(&a, double, 2 * (ptrdiff_t)o->m);
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
        for (int i = b * o->m; i < (b + 1) * o->m; i++) left += y[i] * w[i], size += fabs(y[i] * w[i]);
        NEAR(left, right, TOL(1e-12, 1e-5) * (1 + size), "%s: <A x, w> = <x, A* w>", name);
    }
}

static void observations(void)
{
    static const double at[5][2] = { { .31, .37 }, { 0, 0 }, { 1.7, .6 }, { .385, .123 }, { 1.2, .45 } };
    static const double half[5][2] = { { .1, .05 }, { 0, .1 }, { .2, 0 }, { .05, .05 }, { .3, .2 } };
    static const int ch[5] = { 0, 1, 1, 0, 1 };
    fd_status st;
    fd_arena all = test_arena(1 << 24, &st);
    const double len[2] = { 1.7, .6 };
    for (int bc = 0; bc < 16; bc++) {
        double y[2][4][10];
        for (int g = 0; g < 2; g++) {
            fd_arena a = all;
            fd_space s = fd_grid(&a, 2, g ? (int[]){ 21, 18 } : (int[]){ 9, 8 }, len, (int[]){ bc / 4, bc % 4 }, 2);
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
            fd_obs o[4] = { fd_obs_points(&a, &s, 5, at[0], ch), fd_obs_boxes(&a, &s, 5, at[0], half[0], ch),
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
            OK(z[0] == (double)x[2] && z[1] == (double)x[n - 1] && z[2] == (double)x[s.points], "picked values");
        }
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < (k == 2 ? 3 : 5); i++)
                NEAR(y[1][k][i], y[0][k][i], TOL(1e-12, 2e-5), "boundary %d, functional %d.%d on two grids", bc, k, i);
    }
    /* values at points of the grid, and a mean over a box by a fine midpoint rule */
    fd_arena a = all;
    fd_space s = fd_grid(&a, 1, (int[]){ 15 }, NULL, NULL, 1);
    fd_real x[15];
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_cov_draw(c, fd_seed(7), 0, 1, x, a);
    enum { FINE = 2000 };
    double *fine = fd_raw(&a, double, FINE), *got = fd_raw(&a, double, FINE), mean = 0, one;
    for (int i = 0; i < FINE; i++) fine[i] = .3 + .2 * (i + .5) / FINE;
    fd_obs o = fd_obs_points(&a, &s, FINE, fine, NULL), box = fd_obs_boxes(&a, &s, 1, (double[]){ .4 }, (double[]){ .1 }, NULL);
    o.apply(o.self, &s, 1, x, got, a);
    for (int i = 0; i < FINE; i++) mean += got[i] / FINE;
    box.apply(box.self, &s, 1, x, &one, a);
    NEAR(one, mean, TOL(1e-7, 1e-5), "mean over a box");
    o = fd_obs_points(&a, &s, 1, (double[]){ 4. / 15 }, NULL);
    o.apply(o.self, &s, 1, x, &one, a);
    NEAR(one, (double)x[4], TOL(1e-13, 1e-5), "value at a grid point");
    /* bad input */
    static const struct { double at; int ch, code; } rows[] = {
        { -.1, 0, FD_EARG }, { 1.1, 0, FD_EARG }, { NAN, 0, FD_EARG }, { .5, 1, FD_EARG }, { .5, -1, FD_EARG } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        st.code = 0;
        o = fd_obs_points(&a, &s, 1, &rows[i].at, &rows[i].ch);
        OK(st.code == rows[i].code && o.m == 0, "place %g, channel %d", rows[i].at, rows[i].ch);
    }
    st.code = 0;
    o = fd_obs_pick(&a, &s, 1, (ptrdiff_t[]){ 15 });
    OK(st.code == FD_EARG && !o.m, "an index too many");
    st.code = 0;
    o = fd_obs_points(&a, &s, 2, (double[]){ .3, .3 }, NULL);
    OK(!fd_gain_new(&a, &o, c, NULL) && st.code == FD_EDATA, "two at one place without noise");
    st.code = 0;
    fd_obs_noise(&a, &o, .1);
    OK(fd_gain_new(&a, &o, c, NULL) && !st.code, "two at one place with noise");
    fd_obs_noise(&a, &o, NAN);
    OK(st.code == FD_EDATA, "noise that is not a number");
    st.code = 0;
    OK(!fd_posterior_new(&a, NULL, c, &o, (double[]){ 1, INFINITY }) && st.code == FD_EDATA, "y not finite");
}

/* --- exact posteriors --- */

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
    for (int kind = 0; kind < 4; kind++) {                           /* none, one, each, covariance */
        fd_obs o = fd_obs_pick(&a, &s, M, at);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < M; j++)
                G[i * M + j] = kind == 0 ? 0 : kind == 1 ? (i == j) * .05 : kind == 2 ? (i == j) * sd[i] * sd[i]
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
            NEAR((double)p->mean[i], mean[i], TOL(1e-11, 2e-5), "mean, noise %d, point %d", kind, i);
            NEAR((double)pred[i], sqrt(fmax(0, K[i * N + i])), kind ? TOL(1e-9, 2e-3) : TOL(1e-6, 4e-3),
                 "deviation, noise %d, point %d", kind, i);
        }
        enum { B = 4096 };                                           /* Matheron's rule, by chance */
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
    /* mode by mode against the matrix of the same operator */
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
    fd_posterior *p[2] = { fd_posterior_new(&a, NULL, c, &blur, z), fd_posterior_new(&a, NULL, c, &full, z) };
    OK(!st.code, "modal");
    if (st.code) return;
    for (int k = 0; k < 2; k++) fd_posterior_std(p[k], dev[k], a);
    NEAR(p[0]->evidence, p[1]->evidence, TOL(1e-10, 2e-3), "evidence mode by mode");
    for (int i = 0; i < 30; i++) {
        NEAR((double)p[0]->mean[i], (double)p[1]->mean[i], TOL(1e-11, 1e-4), "mean mode by mode");
        NEAR((double)dev[0][i], (double)dev[1][i], TOL(1e-11, 1e-3), "deviation mode by mode");
    }
    /* C 4.4: var_k = lam noise/(h^2 lam + noise), noise = sd^2/n */
    double want = 0;
    for (int k = 0; k < 30; k++) {
        int j[3];
        double nz = .04 * q.h, l = c->lam[k];
        (void)j;
        want += l * nz / (mul[k] * mul[k] * l + nz);
    }
    double got = 0;
    for (int i = 0; i < 30; i++) got += (double)dev[0][i] * (double)dev[0][i] / 30;
    NEAR(got, want, TOL(1e-12, 1e-5), "mean variance of the diagonal posterior");
}

/* E[x0 | x_t, y] by conditioning the joint Gaussian of (y, x_t) at once: an independent route to C O2, O4 */
static double joint(const fd_cov *c0, const fd_cov *noise, const fd_real *m0, double m, double v, int M,
                    const double *A0, double gamma, const double *y, const fd_real *xt, double *mean, fd_arena a)
{
    int n = (int)c0->s.points;
    double *K = fd_new(&a, double, n * n), *C = fd_new(&a, double, n * n), *z = fd_new(&a, double, M + n);
    double *A = fd_new(&a, double, (M + n) * n), *G = fd_new(&a, double, (M + n) * (M + n));
    matrix_of(c0, n, K, a);
    matrix_of(noise, n, C, a);
    memcpy(A, A0, (size_t)(M * n) * sizeof *A);
    for (int i = 0; i < M; i++) G[i * (M + n) + i] = gamma, z[i] = y[i];
    for (int i = 0; i < n; i++) {
        A[(M + i) * n + i] = m, z[M + i] = (double)xt[i], mean[i] = m0 ? (double)m0[i] : 0;
        for (int j = 0; j < n; j++) G[(M + i) * (M + n) + M + j] = v * C[i * n + j];
    }
    return krige(n, M + n, A, G, z, mean, K, a);
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
        for (int i = 0; i < N; i++) means[j * N + i] = (fd_real)(sin(2 * (j + 1) * (i + .5) / N) - j);
    }
    for (int i = 0; i < M; i++) A[i * N + at[i]] = 1;
    fd_obs o = fd_obs_pick(&a, &s, M, at);
    fd_obs_noise(&a, &o, sqrt(.05));
    fd_process p[] = { fd_ou(noise, 6), fd_vp(noise, .1, 20), fd_flow(noise, 0), fd_driftless(noise, 10),
                       fd_heat(noise, 1, .02, NULL, NULL, 2) };
    fd_cov_draw(c[1], fd_seed(1), 0, 1, x, a);
    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        for (int n = 1; n <= J; n += 2)
            for (int k = 0; k < 3; k++) {
                fd_arena b = a;
                double t = k == 0 ? p[i].tmax : k == 1 ? .4 : .07;
                fd_coef f = fd_law(&p[i], t, 0);
                fd_model m = fd_oracle_posterior(&b, &p[i], n, w, means, (const fd_cov **)c, &o, y);
                m.eval(m.self, &s, 1, x, &t, D, b);
                OK(!st.code, "process %d, %d components", (int)i, n);
                if (p[i].modal) {                                    /* against the law of a sampler below */
                    f.m = 1;
                } else {
                    double l[J], top = -INFINITY, sum = 0;
                    for (int j = 0; j < n; j++) {
                        l[j] = log(w[j]) + joint(c[j], noise, means + j * N, f.m, f.v, M, A, .05, y, x, mean[j], b);
                        top = fmax(top, l[j]);
                    }
                    for (int j = 0; j < n; j++) sum += l[j] = exp(l[j] - top);
                    for (int q = 0; q < N; q++) {
                        want[q] = 0;
                        for (int j = 0; j < n; j++) want[q] += l[j] / sum * mean[j][q];
                        NEAR((double)D[q], want[q], TOL(1e-8, 2e-3) * (1 + fabs(want[q])),
                             "process %d, %d components, t = %g, point %d", (int)i, n, t, q);
                    }
                }
                if (n > 1 || p[i].modal) continue;
                fd_guide how = { .p = &p[i], .model = fd_oracle_gauss(&b, &p[i], means, c[0]), .o = &o, .y = y,
                                 .rule = FD_GUIDE_EXACT };
                fd_model g = fd_guided(&b, &how);
                g.eval(g.self, &s, 1, x, &t, E, b);
                OK(!st.code, "guided: %s", st.code ? st.what : "");
                for (int q = 0; q < N; q++)
                    NEAR((double)E[q], (double)D[q], (f.m < 1e-4 ? 1e-3 : TOL(1e-9, 2e-3)) * (1 + fabs((double)D[q])),
                         "exact guidance, process %d, t = %g", (int)i, t);
            }
}

/* --- laws of samplers, by fd_affine_law on the shipped steps --- */

enum { PLAIN, FLAT, MATHERON, DAMPED };
typedef struct {
    fd_sampler how;
    const fd_gain *g;
    fd_obs *o;
    const double *y;
    double t, s, h;
    int move, path, correct, denoised, noisy;
    int n, m;
} cond;

/* state: x [n], path residual [m] where it is a bridge, e [m] where there is noise. z: modes [n], path [m], e [m] */
static void cond_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    cond *c = self;
    const int n = c->n, m = c->m, S = n + 2 * m, Q = n + 2 * m;
    const fd_cov *C = c->how.p->noise;
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n), *d = fd_raw(&a, fd_real, b * n);
    double *y = fd_raw(&a, double, b * m), *path = fd_raw(&a, double, b * m), *zp = fd_raw(&a, double, b * m);
    double *e = fd_raw(&a, double, b * m), *ze = fd_raw(&a, double, b * m), *de = fd_raw(&a, double, b * m);
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
    if (c->path && !(c->h > 0)) fd_path_move(c->g, c->how.p, c->path, c->t, c->s, b, y, zp, path, a);
    if (c->denoised) fd_project_denoised(c->g, c->how.p, c->s, b, y, d, c->noisy ? de : NULL, u, c->noisy ? e : NULL, a);
    else if (c->move == FLAT) fd_project_flat(c->o, b, path, u, a);
    else if (c->move == PLAIN) fd_project(c->g, b, path, u, c->noisy ? e : NULL, a);
    else {                                                           /* the recipes that are wrong: noise in the gain */
        double *r = fd_raw(&a, double, b * m), al = fd_law(c->how.p, c->s, 0).m;
        c->o->apply(c->o->self, &c->o->s, b, u, r, a);
        for (int i = 0; i < b * m; i++) r[i] = path[i] + al * c->o->sd * ze[i] - r[i];
        fd_gain_solve(c->g, 1, al * al, b, r, r, a);
        fd_gain_add(c->g, c->move == DAMPED ? .1 : 1, b, r, u, a);
    }
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < n; j++) x[i * S + j] = (double)u[i * n + j];
        for (int j = 0; j < m; j++) x[i * S + n + j] = path[i * m + j], x[i * S + n + m + j] = e[i * m + j];
    }
}

/* error of mean and deviation against kriging, relative, in the first n of a state of S */
static void errors(int n, int S, const double *mean, const double *cov, const double *my, const double *Ky, double err[2])
{
    double d = 0, s = 0, dm = 0, ds = 0;
    for (int i = 0; i < n; i++) {
        double sd = sqrt(fmax(0, cov[i * S + i])), want = sqrt(fmax(0, Ky[i * n + i]));
        d += pow(mean[i] - my[i], 2), dm += my[i] * my[i];
        s += pow(sd - want, 2), ds += want * want;
    }
    err[0] = sqrt(d / dm), err[1] = sqrt(s / ds);
}

typedef struct {
    const char *name;
    int n;
    const kernel *noise;                 /* NULL: that of the data */
    int steps, path, move, correct, noisy, denoised;
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
    int corrected = r->correct > 0;
    int steps = corrected ? 100 : r->steps;
    double *t = fd_raw(&a, double, steps + 2);
    if (a.st->code) return;
    for (int i = 0; i <= steps; i++) t[i] = 6. * (steps - i) / steps;
    if (r->correct) {                                                /* linspace(6,.5,51), geomspace(.5,1e-3,50)[1:], 0 */
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
    fd_gain *gp = r->noisy ? g : fd_gain_new(&a, &bare, C, NULL);
    cond c = { .how = { .p = &p, .t = t, .steps = steps, .scheme = FD_EULER_MARUYAMA }, .g = g, .o = &o, .y = y,
               .path = r->path, .move = r->move, .noisy = r->noisy, .n = n, .m = m };
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
    (void)gp;
    for (int k = 0; k < steps && !a.st->code; k++) {
        c.t = t[k], c.s = t[k + 1], c.h = 0;
        double bad = fd_affine_law(cond_step, &c, S, S, mean, cov, a);
        if (k == 0) NEAR(bad, 0, TOL(1e-10, 1e-4), "%s: the step is affine", r->name);
    }
    errors(n, S, mean, cov, my, K, err);
}

static void projections(void)
{
    static const row rows[] = {
        { "C = C0, n = 16", 16, NULL, 200, FD_PATH_BRIDGE, PLAIN, 0, 0, 0, 0, 0, .0037623107 },
        { "C = C0, n = 32", 32, NULL, 200, FD_PATH_BRIDGE, PLAIN, 0, 0, 0, 0, 0, .0037623107 },
        { "C = C0, K = 50", 32, NULL, 50, FD_PATH_BRIDGE, PLAIN, 0, 0, 0, 0, 0, .0153148686 },
        { "C = C0, flat, n = 16", 16, NULL, 200, FD_PATH_BRIDGE, FLAT, 0, 0, 0, 0, .89686589, .88354870 },
        { "C = C0, flat, n = 32", 32, NULL, 200, FD_PATH_BRIDGE, FLAT, 0, 0, 0, 0, .94929843, .98121904 },
        { "rough, n = 16", 16, &rough3, 400, FD_PATH_BRIDGE, PLAIN, 0, 0, 0, 0, .083475415, .016461465 },
        { "rough, n = 32, a", 32, &rough3, 400, FD_PATH_BRIDGE, PLAIN, 0, 0, 0, 0, .080674607, .015974735 },
        { "rough, n = 32, b", 32, &rough3, 400, FD_PATH_FRESH, PLAIN, 0, 0, 0, 0, .080674607, .013366272 },
        { "rough, n = 32, c", 32, &rough3, 400, FD_PATH_MEAN, PLAIN, 0, 0, 0, 0, .080674607, .013277948 },
        { "rough, flat", 16, &rough3, 400, FD_PATH_BRIDGE, FLAT, 0, 0, 0, 0, .70842143, .60968573 },
        { "noisy, C = C0", 32, NULL, 200, FD_PATH_BRIDGE, PLAIN, 0, 1, 0, .5, 0, .00376 },
        { "noisy, rough .5", 32, &rough3, 200, FD_PATH_BRIDGE, PLAIN, 0, 1, 0, .5, .08655904, .01094928 },
        { "noisy, rough .05", 32, &rough3, 200, FD_PATH_BRIDGE, PLAIN, 0, 1, 0, .05, .08282032, .01942181 },
        { "per-step Matheron .5", 32, NULL, 200, FD_PATH_MEAN, MATHERON, 0, 0, 0, .5, .62406719, .06468675 },
        { "damped .1, K = 200", 32, NULL, 200, FD_PATH_MEAN, DAMPED, 0, 0, 0, .5, .17385817, .13215246 },
        { "damped .1, K = 800", 32, NULL, 800, FD_PATH_MEAN, DAMPED, 0, 0, 0, .5, .48931750, .26030729 },
    };
    fd_status st;
    fd_arena a = test_arena(1 << 27, &st);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double err[2] = { NAN, NAN };
        cond_run(&rows[i], err, a);
        printf("%-24s %.9f %.9f   want %.9f %.9f\n", rows[i].name, err[0], err[1], rows[i].mean, rows[i].dev);
        NEAR(err[0], rows[i].mean, TOL(2e-6, 2e-3), "%s: mean", rows[i].name);
        NEAR(err[1], rows[i].dev, TOL(2e-6, 2e-3), "%s: deviation", rows[i].name);
    }
}

void test_posterior(void)
{
    observations();
    posteriors();
    conditional();
    projections();
}
