/* test_metrics.c -- metrics against closed forms and against their definitions in plain loops. */
#include "test.h"
#ifdef _OPENMP
#include <omp.h>
#endif

enum { MAXM = 150 };

/* b functions amp[i] phi of a space, phi a fixed function of norm 1 */
static void along(const fd_space *s, int b, const double *amp, uint64_t seed, fd_real *x)
{
    ptrdiff_t n = fd_size(s);
    fd_real phi[64];
    fd_normal(fd_seed(seed), n, phi);
    double norm = sqrt(fd_inner(s, phi, phi));
    for (int i = 0; i < b; i++)
        for (ptrdiff_t j = 0; j < n; j++) x[i * n + j] = (fd_real)(amp[i] * (double)phi[j] / norm);
}

static double dist(const fd_space *s, const fd_real *x, const fd_real *y)
{
    fd_real d[64];
    for (ptrdiff_t i = 0; i < fd_size(s); i++) d[i] = x[i] - y[i];
    return sqrt(fd_inner(s, d, d));
}

/* --- spectrum --- */

static void spectra(void)
{
    static const struct { int nd, n[3], bc[3], ch; } rows[] = {
        { 1, { 8 }, { FD_PERIODIC }, 1 }, { 1, { 7 }, { FD_PERIODIC }, 2 },
        { 1, { 6 }, { FD_NEUMANN }, 1 },
        { 1, { 5 }, { FD_DIRICHLET }, 1 }, { 1, { 5 }, { FD_MIXED }, 1 },
        { 2, { 4, 5 }, { FD_PERIODIC, FD_NEUMANN }, 1 },
        { 3, { 3, 2, 4 }, { FD_DIRICHLET, FD_PERIODIC, FD_MIXED }, 2 } };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const double len[3] = { 1.7, 0.6, 2.385 };
        fd_status st;
        fd_arena a = test_arena(1 << 18, &st);
        fd_space s = fd_grid(&a, rows[r].nd, rows[r].n, len, rows[r].bc, rows[r].ch);
        ptrdiff_t size = fd_size(&s), per = s.ch * s.modes;
        fd_real *u = fd_new(&a, fd_real, per), *x = fd_new(&a, fd_real, 40 * size);
        double e[20], all = 0, sum = 0;
        OK(!st.code, "space %d", (int)r);
        if (st.code) continue;
        for (ptrdiff_t k = 0; k < per; k++) {
            double k2 = 0, j2 = (double)(k % s.modes);
            for (int d = s.nd; d--; j2 = floor(j2 / s.n[d])) {    /* row-major mode index, undone */
                double j = fmod(j2, s.n[d]);
                static const double add[] = { 0, 0, 1, 0.5 };
                double w = s.bc[d] == FD_PERIODIC ? floor((j + 1) / 2) : j + add[s.bc[d]];
                k2 += w * w;
            }
            int bin = (int)floor(sqrt(k2) + 0.5);
            memset(u, 0, (size_t)per * sizeof *u);
            u[k] = (fd_real)2.385;
            fd_from_modes(&s, 1, u, x, a);
            fd_spectrum(&s, 1, x, 20, e, a);
            for (int j = 0; j < 20; j++)
                NEAR(e[j], j == bin ? 2.385 * 2.385 : 0, TOL(1e-13, 2e-5), "row %d mode %d bin %d",
                     (int)r, (int)k, j);
        }
        fd_normal(fd_seed(7), 40 * size, x);
        fd_spectrum(&s, 40, x, 20, e, a);
        for (int i = 0; i < 40; i++) all += fd_inner(&s, x + i * size, x + i * size) / 40;
        for (int j = 0; j < 20; j++) sum += e[j];
        NEAR(sum, all, all * TOL(1e-14, 1e-5), "row %d: Parseval", (int)r);
        double few[3] = { 0, 0, -1 };
        fd_spectrum(&s, 40, x, 2, few, a);
        OK(few[0] == e[0] && few[1] == e[1] && few[2] == -1, "row %d: fewer bins", (int)r);
        FD_FAIL(&st, FD_EARG, "test", "");
        fd_spectrum(&s, 40, x, 3, few, a);
        OK(few[0] == e[0] && few[2] == -1, "row %d: after a failure", (int)r);
    }
    fd_status st;
    fd_arena a = test_arena(4096, &st);
    fd_real one = 1, x = 2;
    fd_space s = fd_dense(NULL, 1, 1, &one, &one, 1);
    double e[2] = { -1, -1 };
    fd_spectrum(&s, 1, &x, 2, e, a);
    char line[200];
    OK(fd_explain(&st, line, sizeof line) == FD_EARG && strstr(line, "fd_spectrum: a dense")
       && e[0] == -1, "%s", line);
}

/* --- distances of samples --- */

/* three kinds of spaces: a grid with channels, one with more points than lanes, weighted points */
static fd_space space_of(int kind, fd_arena *a)
{
    static const fd_real weight[3] = { (fd_real)0.3, (fd_real)1.7, (fd_real)0.9 };
    static fd_real basis[9];
    const int n2[2] = { 3, 5 }, n1[1] = { 37 };
    const double len[2] = { 1.7, 0.6 };
    if (kind == 0) return fd_grid(a, 2, n2, len, NULL, 2);
    if (kind == 1) return fd_grid(a, 1, n1, len, NULL, 1);
    for (int i = 0; i < 3; i++) basis[4 * i] = (fd_real)(1 / sqrt((double)weight[i]));
    return fd_dense(NULL, 3, 3, basis, weight, 2);
}

/* Unbiased: means over many small samples of X = N(0, sd^2) phi, Y = N(mu, sd^2) phi, against
 * E|N(mu, s^2)| = s sqrt(2/pi) exp(-mu^2/2s^2) + mu erf(mu/(s sqrt 2)), s^2 = 2 sd^2, and
 * E k = bw/sqrt(bw^2 + s^2) exp(-mu^2/(2 (bw^2 + s^2))). What has no distance. */
static void unbiased(void)
{
    enum { REP = 400, M = 6, N = 4 };
    fd_status st;
    fd_arena a = test_arena(1 << 16, &st);
    fd_space sp = space_of(0, &a);
    fd_real x[M * 30], y[N * 30];
    double sum[2] = { 0 }, sq[2] = { 0 }, sd = 0.7, mu = 0.9, bw = 1.3, s2 = 2 * sd * sd,
        pi = acos(-1.0);
    for (int i = 0; i < REP; i++) {
        fd_real g[M + N];
        double amp[M + N], v[2];
        fd_normal(fd_stream(fd_seed(3), 't', (uint32_t)i), M + N, g);
        for (int j = 0; j < M + N; j++) amp[j] = sd * (double)g[j] + (j >= M ? mu : 0);
        along(&sp, M, amp, 11, x);
        along(&sp, N, amp + M, 11, y);
        v[0] = fd_energy_distance(&sp, M, x, N, y);
        v[1] = fd_mmd2(&sp, M, x, N, y, bw, a);
        for (int j = 0; j < 2; j++) { sum[j] += v[j] / REP; sq[j] += v[j] * v[j] / REP; }
    }
    double exy = sqrt(2 * s2 / pi) * exp(-mu * mu / (2 * s2)) + mu * erf(mu / sqrt(2 * s2));
    double k0 = bw / sqrt(bw * bw + s2), k = k0 * exp(-mu * mu / (2 * (bw * bw + s2)));
    double want[2] = { 2 * exy - 2 * sqrt(2 * s2 / pi), 2 * k0 - 2 * k };
    for (int j = 0; j < 2; j++)
        NEAR(sum[j], want[j], 4 * sqrt((sq[j] - sum[j] * sum[j]) / REP),
             "mean of unbiased estimates %d", j);
    OK(want[0] > 8 * sqrt((sq[0] - sum[0] * sum[0]) / REP), "the test would not see a wrong mean");

    OK(isnan(fd_energy_distance(&sp, 1, x, N, y)) && isnan(fd_energy_distance(&sp, M, x, 1, y)),
       "one function");
    OK(isnan(fd_energy_distance(&sp, M, NULL, N, y)), "NULL");
    OK(isnan(fd_mmd2(&sp, M, x, 1, y, 1, a)) && st.code == FD_EARG, "one function");
    a = test_arena(1 << 16, &st);
    memset(x, 0, sizeof x);
    OK(isnan(fd_mmd2(&sp, M, x, M, x, 0, a)) && st.code == FD_EDATA, "all the same");
    a = test_arena(1 << 16, &st);
    x[40] = (fd_real)NAN;
    OK(isnan(fd_mmd2(&sp, M, x, N, y, 0, a)) && st.code == FD_ENAN, "not a number");
}

static void pairs(void)
{
    static const int counts[][2] = { { 2, 2 }, { 3, 5 }, { 7, 4 }, { 64, 65 }, { MAXM, 3 } };
    static double d[2 * MAXM * 2 * MAXM];
    for (int kind = 0; kind < 3; kind++)
        for (size_t r = 0; r < sizeof counts / sizeof counts[0]; r++) {
            int m = counts[r][0], n = counts[r][1], N = m + n, half = 0;
            fd_status st;
            fd_arena a = test_arena(1 << 20, &st);
            fd_space s = space_of(kind, &a);
            ptrdiff_t size = fd_size(&s);
            fd_real *z = fd_new(&a, fd_real, N * size), *x = z, *y = z + m * size;
            double xx = 0, yy = 0, xy = 0, kxx = 0, kyy = 0, kxy = 0, bw = 0.885;
            if (!z) { OK(0, "space"); continue; }
            fd_normal(fd_seed(r), N * size, z);
            for (ptrdiff_t i = 0; i < n * size; i++) y[i] += (fd_real)0.3;
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) {
                    double v = dist(&s, z + i * size, z + j * size);
                    double k = exp(-v * v / (2 * bw * bw));
                    if (i < j) d[half++] = v;
                    if (i == j) continue;
                    if (i < m && j < m) { xx += v / (m * (m - 1.0)); kxx += k / (m * (m - 1.0)); }
                    else if (i >= m && j >= m) {
                        yy += v / (n * (n - 1.0));
                        kyy += k / (n * (n - 1.0));
                    }
                    else if (i < j) { xy += v / ((double)m * n); kxy += k / ((double)m * n); }
                }
            NEAR(fd_energy_distance(&s, m, x, n, y), 2 * xy - xx - yy, TOL(1e-13, 2e-6) * xy,
                 "energy distance, space %d, %d and %d", kind, m, n);
            NEAR(fd_energy_distance(&s, m, x, m, x), -2 * xx / m, TOL(1e-13, 2e-6) * xx,
                 "energy distance to itself, space %d, %d", kind, m);
            NEAR(fd_mmd2(&s, m, x, n, y, bw, a), kxx + kyy - 2 * kxy, TOL(1e-13, 2e-6),
                 "MMD, space %d, %d and %d", kind, m, n);
            for (int i = 1; i < half; i++)                       /* insertion sort */
                for (int j = i; j && d[j] < d[j - 1]; j--) {
                    double t = d[j];
                    d[j] = d[j - 1];
                    d[j - 1] = t;
                }
            double med = 0.5 * (d[half / 2] + d[(half - 1) / 2]);
            NEAR(fd_mmd2(&s, m, x, n, y, 0, a), fd_mmd2(&s, m, x, n, y, med, a), TOL(1e-13, 1e-6),
                 "MMD at the median, space %d, %d and %d", kind, m, n);
            OK(!st.code, "%s", st.code ? st.what : "");
        }
    unbiased();
}

static void sliced(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    /* one point of weight w: the direction is +-1, the distance that of the quantiles:
     * 1 1 1 4 4 4 against 0 0 2 2 5 5 */
    fd_real w = (fd_real)2.385, basis = (fd_real)(1 / sqrt(2.385)), x1[2] = { 4, 1 },
        y1[3] = { 2, 5, 0 };
    fd_space one = fd_dense(NULL, 1, 1, &basis, &w, 1);
    NEAR(fd_sliced_w2(&one, fd_seed(1), 3, 2, x1, 3, y1, a), 2.385 * 1.5, TOL(1e-14, 1e-6),
         "quantiles");
    for (int kind = 0; kind < 3; kind++) {
        enum { M = 20, PROJ = 3000 };
        fd_space s = space_of(kind, &a);
        ptrdiff_t d = fd_size(&s);
        fd_real *x = fd_new(&a, fd_real, M * d), *y = fd_new(&a, fd_real, 3 * M * d),
            *psi = fd_new(&a, fd_real, d);
        if (!psi) { OK(0, "memory"); return; }
        fd_normal(fd_seed(5), M * d, x);
        fd_normal(fd_seed(6), d, psi);
        double len2 = fd_inner(&s, psi, psi);
        for (int i = 0; i < 3 * M; i++)
            for (ptrdiff_t j = 0; j < d; j++) y[i * d + j] = x[i % M * d + j];
        NEAR(fd_sliced_w2(&s, fd_seed(8), 70, M, x, 3 * M, y, a), 0, TOL(1e-27, 1e-10),
             "the same law");
        /* a shift by psi: <psi, theta>^2, mean |psi|^2/d, variance 2 (d-1)/(d^2 (d+2)) |psi|^4 */
        for (int i = 0; i < M; i++)
            for (ptrdiff_t j = 0; j < d; j++) y[i * d + j] += psi[j];
        double z = 2 * (d - 1.0) / ((double)d * d * (d + 2.0) * PROJ);
        NEAR(fd_sliced_w2(&s, fd_seed(8), PROJ, M, x, M, y, a), len2 / (double)d,
             4 * len2 * sqrt(z),
             "a shift, space %d", kind);
    }
    OK(!st.code, "%s", st.code ? st.what : "");
    OK(isnan(fd_sliced_w2(&one, fd_seed(1), 0, 2, x1, 3, y1, a)) && st.code == FD_EARG,
       "no directions");
}

/* --- Gaussian distances --- */

/* 2p functions mean + +-a_k v_k: their mean is exact, their covariance sum_k sd_k^2 v_k v_k^T with
 * a_k = sd_k sqrt((2p-1)/2); v_k the modes, the first two turned by an angle */
static void cross(const fd_space *s, int p, const double *mean, const double *sd, double angle,
                  fd_real *x, fd_arena scratch)
{
    ptrdiff_t per = s->ch * s->modes;
    fd_real *u = fd_new(&scratch, fd_real, 2 * p * per);
    if (!u) return;
    for (int i = 0; i < 2 * p; i++) {
        double amp = (i < p ? 1 : -1) * sd[i % p] * sqrt((2 * p - 1) / 2.0);
        for (int k = 0; k < p; k++) u[i * per + k] = (fd_real)mean[k];
        if (i % p > 1) u[i * per + i % p] += (fd_real)amp;
        else {
            u[i * per] += (fd_real)(amp * (i % p ? -sin(angle) : cos(angle)));
            u[i * per + 1] += (fd_real)(amp * (i % p ? cos(angle) : sin(angle)));
        }
    }
    fd_from_modes(s, 2 * p, u, x, scratch);
}

/* N(0, C) and N(0, 4 C): sum (sd - 2 sd)^2 = Tr C, up to about 2 modes / m of it */
static void gaussian_samples(void)
{
    enum { M = 400 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = space_of(1, &a);
    const fd_cov *c = fd_cov_rbf(&a, &s, 1, 0.4);
    fd_real *x = fd_new(&a, fd_real, M * 37), *y = fd_new(&a, fd_real, M * 37);
    if (!y) { OK(0, "memory"); return; }
    fd_cov_draw(c, fd_seed(1), 0, M, x, a);
    fd_cov_draw(c, fd_seed(2), 0, M, y, a);
    for (int i = 0; i < M * 37; i++) y[i] *= 2;
    double tr = fd_cov_trace(c);
    NEAR(fd_w2_modes(&s, M, x, M, y, a), tr, 0.2 * tr, "samples");
    NEAR(fd_frechet(&s, 8, M, x, M, y, a), tr, 0.2 * tr, "samples");
}

static void gaussians(void)
{
    enum { P = 5 };
    static const double mx[P] = { 0.3, -0.5, 0.1, 0, 0.7 }, my[P] = { 0.1, 0, 0, -0.2, 0.4 };
    static const double sx[P] = { 0.5, 1.5, 0.9, 0.2, 0.6 }, sy[P] = { 2.385, 1.7, 1.1, 0.8, 0.3 };
    for (int kind = 0; kind < 2; kind++) {
        fd_status st;
        fd_arena a = test_arena(1 << 22, &st);
        fd_space s = space_of(kind, &a);
        ptrdiff_t size = fd_size(&s);
        fd_real *x = fd_new(&a, fd_real, 2 * P * size), *y = fd_new(&a, fd_real, 2 * P * size);
        if (!y) { OK(0, "memory"); return; }
        double want[P + 1] = { 0 };
        for (int k = 0; k < P; k++)
            want[k + 1] = want[k] + (mx[k] - my[k]) * (mx[k] - my[k])
                + (sx[k] - sy[k]) * (sx[k] - sy[k]);
        cross(&s, P, mx, sx, 0, x, a);
        cross(&s, P, my, sy, 0, y, a);
        NEAR(fd_w2_modes(&s, 2 * P, x, 2 * P, y, a), want[P], TOL(1e-12, 2e-5),
             "diagonal, space %d", kind);
        NEAR(fd_w2_modes(&s, 2 * P, x, 2 * P, x, a), 0, TOL(1e-25, 1e-9), "to itself");
        for (int pcs = 1; pcs <= P; pcs++)
            NEAR(fd_frechet(&s, pcs, 2 * P, x, 2 * P, y, a), want[pcs], TOL(1e-12, 5e-5),
                 "space %d, %d components", kind, pcs);
        NEAR(fd_frechet(&s, P + 3, 2 * P, x, 2 * P, y, a), want[P], TOL(1e-7, 2e-3),
             "more components than there are");
        NEAR(fd_frechet(&s, P, 2 * P, y, 2 * P, y, a), 0, TOL(1e-12, 5e-5), "to itself");
        /* turned in the plane of the first two modes, where for 2 x 2 matrices
         * Tr (A B)^1/2 = sqrt(Tr AB + 2 sqrt(det AB)) */
        double t = 0.6, c2 = cos(t) * cos(t), s2 = sin(t) * sin(t);
        double v0 = sx[0] * sx[0], v1 = sx[1] * sx[1], w0 = sy[0] * sy[0], w1 = sy[1] * sy[1];
        double tr = w0 * (c2 * v0 + s2 * v1) + w1 * (s2 * v0 + c2 * v1), det = v0 * v1 * w0 * w1;
        double turned = (mx[0] - my[0]) * (mx[0] - my[0]) + (mx[1] - my[1]) * (mx[1] - my[1])
                      + v0 + v1 + w0 + w1 - 2 * sqrt(tr + 2 * sqrt(det)) + want[P] - want[2];
        cross(&s, P, mx, sx, t, x, a);
        NEAR(fd_frechet(&s, P, 2 * P, x, 2 * P, y, a), turned, TOL(1e-12, 5e-5),
             "turned, space %d", kind);
        /* a large common mean costs no digits of w2_modes in double */
        for (int i = 0; i < 2 * P * size; i++) { x[i] += 64; y[i] += 64; }
        double far = fd_w2_modes(&s, 2 * P, x, 2 * P, y, a);
        for (int i = 0; i < 2 * P * size; i++) { x[i] -= 64; y[i] -= 64; }
        NEAR(far, fd_w2_modes(&s, 2 * P, x, 2 * P, y, a), TOL(1e-10, 2e-3), "far away");
        OK(!st.code, "%s", st.code ? st.what : "");
        OK(isnan(fd_frechet(&s, 0, 2 * P, x, 2 * P, y, a)) && st.code == FD_EARG, "no components");
        a = test_arena(1 << 22, &st);
        OK(isnan(fd_frechet(&s, 2, 1, x, 2 * P, y, a)) && st.code == FD_EARG, "one function");
        a = test_arena(1 << 22, &st);
        OK(isnan(fd_w2_modes(&s, 2 * P, x, 1, y, a)) && st.code == FD_EARG, "one function");
    }
    gaussian_samples();
}

/* --- CRPS --- */

static void crps(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = space_of(0, &a);
    enum { M = 9 };
    fd_real x[M * 30], y[30];
    for (int i = 0; i < 30; i++) { x[i] = 4; x[30 + i] = 1; y[i] = 2; }
    NEAR(fd_crps(&s, 2, x, y, a), 0.75, 1e-15, "(2 + 1)/2 - 3/4");
    NEAR(fd_crps(&s, 1, x, y, a), 2, 1e-15, "one member: |x - y|");
    fd_normal(fd_seed(1), M * 30, x);
    fd_normal(fd_seed(2), 30, y);
    for (int m = 1; m <= M; m++) {
        double sum = 0;
        for (int p = 0; p < 30; p++)
            for (int i = 0; i < m; i++) {
                sum += fabs((double)x[i * 30 + p] - (double)y[p]) / m;
                for (int j = 0; j < m; j++)
                    sum -= 0.5 * fabs((double)x[i * 30 + p] - (double)x[j * 30 + p]) / (m * m);
            }
        NEAR(fd_crps(&s, m, x, y, a), sum / 30, 1e-14, "%d members", m);
    }
    OK(isnan(fd_crps(&s, 0, x, y, a)) && st.code == FD_EARG, "no members");
}

/* --- every metric, for bits and memory --- */

enum { METRICS = 6 };
static double metric(int k, fd_arena a, const fd_space *s, int m, const fd_real *x, int n,
                     const fd_real *y)
{
    switch (k) {
    case 0: return fd_energy_distance(s, m, x, n, y);
    case 1: return fd_mmd2(s, m, x, n, y, 0, a);
    case 2: return fd_sliced_w2(s, fd_seed(1), 70, m, x, n, y, a);
    case 3: return fd_frechet(s, 4, m, x, n, y, a);
    case 4: return fd_w2_modes(s, m, x, n, y, a);
    default: return fd_crps(s, m, x, y, a);
    }
}

static int all(fd_arena a, const fd_space *s, int m, const fd_real *x, int n, const fd_real *y,
               double out[9])
{
    memset(out, 0, 9 * sizeof *out);
    fd_spectrum(s, m, x, 3, out, a);
    for (int k = 0; k < METRICS; k++) out[3 + k] = metric(k, a, s, m, x, n, y);
    return a.st->code;
}

enum { ROBUST_M = 30, ROBUST_N = 21 };
typedef struct { fd_space s; fd_real *x, *y; } ensembles;
static char room[1 << 20];

/* every size of memory: NAN and no number touched, or the right one; k = -1: the spectrum */
static void starved(const ensembles *e, int k, int threads, const double want[9])
{
    const int M = ROBUST_M, N = ROBUST_N;
    double got[9];
    int done = 0;
    test_use_threads(threads);
    for (size_t size = 0; !done && size < sizeof room; size += 1 + size / 64) {
        fd_status st;
        fd_arena a = fd_arena_over(room, size, &st);
        fd_show(room, size);
        /* plausible numbers, not 0, where nothing was written */
        memset(room, 0x3f, size);
        got[0] = got[1] = got[2] = got[3 + (k > 0 ? k : 0)] = -7;
        if (k < 0) fd_spectrum(&e->s, M, e->x, 3, got, a);
        else got[3 + k] = metric(k, a, &e->s, M, e->x, N, e->y);
        const int same = k < 0 ? !memcmp(got, want, 3 * sizeof *got) : got[3 + k] == want[3 + k];
        const int untouched = k < 0 ? got[0] == -7 && got[2] == -7 : isnan(got[3 + k]);
        done = !st.code;
        if (done) OK(same, "metric %d, %d bytes: other results", k, (int)size);
        else if (st.code != FD_ENOMEM || !untouched)
            OK(0, "metric %d, %d bytes: code %d, %g", k, (int)size, st.code,
               got[3 + (k > 0 ? k : 0)]);
    }
    OK(done, "metric %d: never enough memory", k);
}

/* what is not there: NAN, and no word of it */
static void of_nothing(const ensembles *e, fd_arena a)
{
    const int M = ROBUST_M, N = ROBUST_N;
    const fd_space bad = { .nd = 0 };
    const struct { const char *name; const fd_space *s; const fd_real *x, *y; } rows[] = {
        { "a failed space", &bad, e->x, e->y }, { "NULL", &e->s, NULL, NULL },
        { "no space", NULL, e->x, e->y }, { "x alone", &e->s, e->x, NULL } };
    double got[9];
    for (int r = 0; r < 4; r++) {
        all(a, rows[r].s, M, rows[r].x, N, rows[r].y, got);
        for (int i = 3; i < 9; i++) OK(isnan(got[i]), "metric %d of %s", i, rows[r].name);
    }
    OK(isnan(fd_crps(&e->s, M, e->x, NULL, a)), "no truth");
    fd_spectrum(&e->s, M, e->x, 3, NULL, a);
    got[0] = 7;
    fd_spectrum(&e->s, M, NULL, 3, got, a);
    OK(got[0] == 7 && !a.st->code, "no spectrum");
}

/* too few functions of either kind, and functions of no numbers */
static void too_few(ensembles *e, fd_arena a)
{
    const int M = ROBUST_M, N = ROBUST_N;
    const fd_space *const s = &e->s;
    const fd_real *const x = e->x, *const y = e->y;
    for (int i = 0; i < 2; i++) {
        const int m = i ? N : 1, n = i ? 1 : N;
        OK(isnan(fd_energy_distance(s, m, x, n, y)), "energy distance of one function");
        SAYS(OK(isnan(fd_mmd2(s, m, x, n, y, 0, a)), "MMD"), FD_EARG,
             "fd_mmd2: needs two functions of each kind");
        SAYS(OK(isnan(fd_w2_modes(s, m, x, n, y, a)), "W2 of modes"), FD_EARG,
             "fd_w2_modes: needs two functions of each kind");
        SAYS(OK(isnan(fd_frechet(s, 1, m, x, n, y, a)), "Frechet"), FD_EARG,
             "fd_frechet: needs components and two functions of each");
        SAYS(OK(isnan(fd_sliced_w2(s, fd_seed(1), 1, i * N, x, N - i * N, y, a)), "sliced W2"),
             FD_EARG, "fd_sliced_w2: needs directions and functions");
    }
    SAYS(OK(isnan(fd_crps(s, 0, x, y, a)), "CRPS"), FD_EARG, "fd_crps: an empty ensemble");
    e->x[0] = NAN;
    SAYS(OK(isnan(fd_frechet(s, 3, M, x, N, y, a)), "Frechet of no numbers"), FD_EDATA,
         "not finite");
}

/* In a parallel region of the caller each thread has memory of its own, no byte more than it needs:
 * the numbers are the same, and nothing beyond it is written. */
static void in_a_region(const ensembles *e, const double want[9])
{
    enum { THREADS = 3, SIZE = 1 << 18 };
    static char mem[THREADS][SIZE];
    double got[THREADS][METRICS];
    int beyond[THREADS][METRICS] = { { 0 } };
    test_use_threads(THREADS);
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
    for (int t = 0; t < THREADS; t++)
        for (int k = 0; k < METRICS; k++) {
            fd_status st;
            fd_arena a = fd_arena_over(mem[t], SIZE, &st);
            metric(k, a, &e->s, ROBUST_M, e->x, ROBUST_N, e->y);
            const size_t need = fd_need(&st, mem[t]);
            fd_show(mem[t], SIZE);
            memset(mem[t], 0x55, SIZE);
            a = fd_arena_over(mem[t], need, &st);
            got[t][k] = metric(k, a, &e->s, ROBUST_M, e->x, ROBUST_N, e->y);
            for (size_t i = need; i < SIZE; i++) beyond[t][k] += mem[t][i] != 0x55;
        }
    for (int t = 0; t < THREADS; t++)
        for (int k = 0; k < METRICS; k++) {
            OK(got[t][k] == want[3 + k], "metric %d on thread %d of a region", k, t);
            OK(!beyond[t][k], "metric %d on thread %d of a region: %d bytes beyond its memory", k,
               t, beyond[t][k]);
        }
}

static void starved_assignment(void)
{
    const double cost = 1;
    fd_status st;
    int to = -7;
    for (size_t size = 0; size < 2048; size += 64) {         /* with red zones it needs more */
        fd_arena few = fd_arena_over(room, size, &st);
        const double sum = fd_assignment(1, &cost, &to, few);
        OK(st.code ? st.code == FD_ENOMEM && isnan(sum) : sum == 1 && to == 0, "%d bytes",
           (int)size);
        to = -7;
    }
    OK(!st.code, "enough");
    fd_arena a = fd_arena_over(room, sizeof room, &st);
    FD_FAIL(&st, FD_EIO, "here", "before");
    OK(isnan(fd_assignment(1, &cost, &to, a)) && to == -7, "no assignment after a failure");
}

static void robust(void)
{
    const int most = test_most_threads();
    fd_status st;
    fd_arena keep = test_arena(1 << 20, &st);
    ensembles e = { space_of(0, &keep), normals(&keep, 1, ROBUST_M * 30),
                    normals(&keep, 2, ROBUST_N * 30) };
    double want[9], got[9];
    if (!e.y) { OK(0, "memory"); return; }
    OK(!all(keep, &e.s, ROBUST_M, e.x, ROBUST_N, e.y, want), "%s", st.code ? st.what : "");
    for (int t = 1; t <= 3; t++) {
        test_use_threads(t);
        all(keep, &e.s, ROBUST_M, e.x, ROBUST_N, e.y, got);
        OK(!memcmp(got, want, sizeof got), "bits with %d threads", t);
    }
    for (int k = -1; k < METRICS; k++)
        for (int threads = 1; threads <= 3; threads += 2) starved(&e, k, threads, want);
    in_a_region(&e, want);
    test_use_threads(most);
    of_nothing(&e, keep);
    too_few(&e, keep);
    starved_assignment();
}

/* against all permutations of six, and against sorting on a line */
static double least_of(int n, int k, const double *c, int *perm)
{
    double best = INFINITY, sum = 0;
    if (k == n) {
        for (int i = 0; i < n; i++) sum += c[i * n + perm[i]];
        return sum;
    }
    for (int i = k; i < n; i++) {
        int keep = perm[k];
        perm[k] = perm[i], perm[i] = keep;
        best = fmin(best, least_of(n, k + 1, c, perm));
        keep = perm[k], perm[k] = perm[i], perm[i] = keep;
    }
    return best;
}

static void assignments(void)
{
    enum { LINE = 60 };
    static double c[LINE * LINE];
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_real u[36];
    int to[LINE];
    for (int k = 0; k < 60; k++) {
        int n = 1 + k % 6, perm[6] = { 0, 1, 2, 3, 4, 5 }, seen[6] = { 0 };
        double sum = 0;
        fd_uniform(fd_stream(fd_seed(3), 'a', (uint32_t)k), n * n, u);
        /* and ties */
        for (int i = 0; i < n * n; i++) c[i] = k % 3 ? (double)u[i] - .4 : floor(4 * (double)u[i]);
        double got = fd_assignment(n, c, to, a);
        NEAR(got, least_of(n, 0, c, perm), 1e-12, "the least of all assignments of %d", n);
        for (int i = 0; i < n; i++) seen[to[i]]++, sum += c[i * n + to[i]];
        for (int i = 0; i < n; i++) OK(seen[i] == 1, "each column once");
        NEAR(sum, got, 1e-12, "its cost");
    }
    fd_real x[LINE], y[LINE];
    double want = 0;
    fd_normal(fd_seed(1), LINE, x), fd_normal(fd_seed(2), LINE, y);
    for (int i = 0; i < LINE; i++)
        for (int j = 0; j < LINE; j++) c[i * LINE + j] = pow((double)x[i] - (double)y[j], 2);
    double got = fd_assignment(LINE, c, to, a);
    for (int i = 1; i < LINE; i++)                                   /* by insertion */
        for (int j = i; j > 0; j--)
            for (int e = 0; e < 2; e++) {
                fd_real *v = e ? y : x, w = v[j];
                if (v[j - 1] > w) v[j] = v[j - 1], v[j - 1] = w;
            }
    for (int i = 0; i < LINE; i++) want += pow((double)x[i] - (double)y[i], 2);
    NEAR(got, want, 1e-10, "on a line the order is kept");
    OK(!st.code, "status");
    int far[LINE];
    for (int i = 0; i < LINE * LINE; i++) c[i] = ldexp(c[i], 1000);
    NEAR(ldexp(fd_assignment(LINE, c, far, a), -1000), got, 0, "costs of 1e301");
    OK(!memcmp(to, far, sizeof to), "they are assigned alike");
    for (int i = 0; i < 9; i++) c[i] = (i % 4 ? 1 : -1) * 1e308;
    to[0] = -7;
    OK(isnan(fd_assignment(3, c, to, a)) && st.code == FD_EDATA && to[0] == -7,
       "costs whose sums overflow");
    st.code = FD_OK;
    c[5] = NAN, to[0] = -7;
    OK(isnan(fd_assignment(LINE, c, to, a)) && st.code == FD_EDATA && to[0] == -7,
       "a cost that is no number");
    st.code = FD_OK;
    test_free();
}

void test_metrics(void)
{
    assignments();
    spectra();
    pairs();
    sliced();
    gaussians();
    crps();
    robust();
}
