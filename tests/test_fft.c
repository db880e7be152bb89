/* test_fft.c -- fft.c against the defining sums in long double: every kind, length, layout. */
#include "test.h"
#ifdef _OPENMP
#include <omp.h>
#endif

static const char *const fft_names[] = {
    "C2C", "R2C", "DCT1", "DCT2", "DCT3", "DCT4", "DST1", "DST2", "DST3", "DST4" };
static uint64_t fft_state = 2385;
static fd_real fft_draw(void)                              /* uniform in [-0.5, 0.5) */
{
    fft_state = fft_state * 6364136223846793005u + 1442695040888963407u;
    return (fd_real)((double)(fft_state >> 40) / 16777216.0 - 0.5);
}
static void fft_fill(ptrdiff_t n, fd_real *x) { while (n--) *x++ = fft_draw(); }

/* c[q] = cos(2 pi q/m), c[m + q] = sin(2 pi q/m), angles brought to the first eighth */
static long double *fft_table(int m)
{
    static long double c[2 * 65537];
    static int have;
    const long double pi = 3.14159265358979323846264338327950288L;
    if (m == have) return c;
    for (int q = 0; q < m; q++) {
        long long e = 8LL * q / m, r = 8LL * q - e * m;
        if (e & 1) r = m - r;
        long double a = pi * (long double)r / (4 * (long double)m), u = cosl(a), v = sinl(a);
        if ((e + 1) & 2) { long double t = u; u = v; v = t; }
        c[q] = (e + 2) & 4 ? -u : u;
        c[m + q] = e & 4 ? -v : v;
    }
    have = m;
    return c;
}

/* Output k of the definition: one number, two for FD_C2C; for FD_R2C forward (re, im) of X_k. */
static void fft_sum(int kind, int sign, int n, int k, const fd_real *x, long double y[2])
{
    int m = kind <= FD_R2C ? n : kind == FD_DCT1 ? 2 * (n - 1) : kind == FD_DST1 ? 2 * (n + 1)
          : kind == FD_DCT4 || kind == FD_DST4 ? 8 * n : 4 * n;
    const long double *c = fft_table(m), *s = c + m;
    long double re = 0, im = 0, f;
    long long K = k;
    for (int j = 0; j < n; j++) {
        long long J = j, q;
        int last = j == n - 1;
        switch (kind) {
        case FD_C2C:
            q = J * K % m;
            re += x[2 * j] * c[q] - sign * x[2 * j + 1] * s[q];
            im += x[2 * j + 1] * c[q] + sign * x[2 * j] * s[q];
            break;
        case FD_R2C:
            q = J * K % m;
            if (sign < 0) { re += x[j] * c[q]; im -= x[j] * s[q]; break; }
            /* packed r_i at 2i-1, i_i at 2i: sum of r_i cos - i_i sin, the inner ones twice */
            q = (J + 1) / 2 * K % m;
            f = j == 0 || (n % 2 == 0 && last) ? 1 : 2;
            re += f * x[j] * (j % 2 || j == 0 ? c[q] : -s[q]);
            break;
        case FD_DCT1: re += (j == 0 || last ? 1 : 2) * x[j] * c[J * K % m]; break;
        case FD_DCT2: re += 2 * x[j] * c[(2 * J + 1) * K % m]; break;
        case FD_DCT3: re += (j == 0 ? 1 : 2) * x[j] * c[J * (2 * K + 1) % m]; break;
        case FD_DCT4: re += 2 * x[j] * c[(2 * J + 1) * (2 * K + 1) % m]; break;
        case FD_DST1: re += 2 * x[j] * s[(J + 1) * (K + 1) % m]; break;
        case FD_DST2: re += 2 * x[j] * s[(2 * J + 1) * (K + 1) % m]; break;
        case FD_DST3: re += (last ? 1 : 2) * x[j] * s[(J + 1) * (2 * K + 1) % m]; break;
        default:      re += 2 * x[j] * s[(2 * J + 1) * (2 * K + 1) % m];
        }
    }
    y[0] = re;
    y[1] = im;
}

/* Relative L2 error of y = transform of x, over every step-th output. */
static double fft_error(int kind, int sign, int n, const fd_real *x, const fd_real *y, int step)
{
    long double d = 0, r = 0, w[2];
    int half = kind == FD_R2C && sign < 0;
    for (int k = 0; k < (half ? n / 2 + 1 : n); k += step) {
        fft_sum(kind, sign, n, k, x, w);
        for (int e = 0; e < 2; e++) {
            long double got = kind == FD_C2C ? y[2 * k + e] : !half ? (e ? 0 : y[k])
                            : k == 0 ? (e ? 0 : y[0]) : 2 * k - 1 + e < n ? y[2 * k - 1 + e] : 0;
            if (half && e && (k == 0 || 2 * k == n)) w[e] = 0;       /* zero but for its rounding */
            d += (got - w[e]) * (got - w[e]);
            r += w[e] * w[e];
        }
    }
    return (double)sqrtl(d / (r > 0 ? r : 1));
}

/* the mean error over `draws` lines */
static void fft_one(int kind, int sign, int n, int step, int draws, double tol, fd_arena a)
{
    int len = kind == FD_C2C ? 2 * n : n;
    fd_real *x = fd_new(&a, fd_real, len), *y = fd_new(&a, fd_real, len);
    const int leave = test_brief() && (n > 300 || (n > 20 && n % 9));
    double sum = 0;
    fd_fft *p = fd_fft_plan(&a, kind, n);
    for (int d = 0; d < draws; d++) {
        fft_fill(len, x);                              /* the same draws for those that follow */
        if (leave) continue;
        memcpy(y, x, (size_t)len * sizeof *x);
        fd_fft_run(p, sign, 1, 1, n, 1, y, a);
        sum += fft_error(kind, sign, n, x, y, step);
    }
    if (leave) return;
    OK(!a.st->code, "%s n %d", fft_names[kind], n);
    NEAR(sum / draws, 0, tol, "%s sign %d n %d", fft_names[kind], sign, n);
}

static void fft_definitions(fd_arena a)
{
    for (int n = 1; n <= 128; n++)
        for (int kind = FD_C2C; kind <= FD_DST4; kind++) {
            if (kind == FD_DCT1 && n < 2) continue;
            double tol = kind <= FD_R2C ? TOL(2.6e-16, 1.32e-7) : TOL(5e-16, 2.5e-7);
            fft_one(kind, -1, n, 1, 1, tol, a);
            if (kind <= FD_R2C) fft_one(kind, 1, n, 1, 1, tol, a);
        }
    /* 1.2 times the errors of pocketfft, measured in the same way. From draw to draw the error of
     * 16 numbers strays by 17 %, of 60 by 8 %: pocketfft's for 16 is the mean of 400 draws, ours is
     * the mean of 20 where there are fewer than 100 numbers. */
    static const struct { int n, step; double d, f; } row[] = {
        { 16, 1, 1.1e-16, 6.5e-8 },   { 60, 1, 1.6e-16, 8.9e-8 },    { 97, 1, 2.1e-16, 1.1e-7 },
        { 131, 1, 4.5e-16, 2.3e-7 },  { 251, 1, 4.5e-16, 2.3e-7 },   { 256, 1, 1.9e-16, 9.8e-8 },
        { 257, 1, 4.5e-16, 2.3e-7 },                     /* 2n - 2 is no length for Bluestein */
        { 360, 1, 2.5e-16, 1.3e-7 },  { 1000, 1, 2.5e-16, 1.3e-7 },  { 1009, 1, 4.5e-16, 2.3e-7 },
        { 1021, 1, 4.5e-16, 2.3e-7 }, { 2048, 4, 2.4e-16, 1.3e-7 },  { 4093, 16, 5.1e-16, 2.5e-7 },
        { 4096, 16, 2.4e-16, 1.3e-7 }, { 65536, 1024, 3.0e-16, 1.5e-7 },
        { 65537, 1024, 6.0e-16, 3.0e-7 } };              /* j^2 in Bluestein is above 2^32 */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (int kind = FD_C2C; kind <= (row[i].n < 4000 ? FD_DST4 : FD_R2C); kind++)
            for (int sign = -1; sign <= (kind <= FD_R2C); sign += 2)
                fft_one(kind, sign, row[i].n, row[i].step, row[i].n < 100 ? 20 : 1,
                        (kind <= FD_R2C ? 1.2 : 2.5) * TOL(row[i].d, row[i].f), a);
}

/* Lines in several layouts: the same bits as each line alone, and nothing between the lines
 * changed. */
static void fft_layout(int kind, int n, int lines, fd_arena a)
{
    const ptrdiff_t lay[][2] = { { n, 1 }, { n + 5, 1 }, { 1, lines }, { 1, lines + 3 },
                                 { 3, 3 * lines + 1 }, { 2 * n + 1, 2 } };
    const int unit = kind == FD_C2C ? 2 : 1, sign = lines & 1 ? 1 : -1;
    const size_t one = (size_t)unit * sizeof(fd_real), all = (size_t)(lines * n * unit);
    const size_t room = (size_t)unit * 4 * ((size_t)n + 5) * ((size_t)lines + 2);
    fd_real *x = fd_new(&a, fd_real, room), *alone = fd_new(&a, fd_real, all);
    fd_real *first = fd_new(&a, fd_real, all);
    const fd_fft *p = fd_fft_plan(&a, kind, n);
    int bad = 0, spill = 0;
    fft_fill((ptrdiff_t)all, first);
    memcpy(alone, first, all * sizeof *first);
    for (int l = 0; l < lines; l++) fd_fft_run(p, sign, 0.7, 1, n, 1, alone + l * n * unit, a);
    for (size_t k = 0; k < sizeof lay / sizeof *lay; k++) {
        ptrdiff_t dist = lay[k][0] * unit, stride = lay[k][1] * unit;
        for (size_t i = 0; i < room; i++) x[i] = 77;
        for (int i = 0; i < lines * n; i++)
            memcpy(x + i / n * dist + i % n * stride, first + i * unit, one);
        fd_fft_run(p, sign, 0.7, lines, lay[k][0], lay[k][1], x, a);
        for (int i = 0; i < lines * n; i++) {
            fd_real *y = x + i / n * dist + i % n * stride;
            bad += !!memcmp(y, alone + i * unit, one);
            for (int e = 0; e < unit; e++) y[e] = 77;
        }
        for (size_t i = 0; i < room; i++) spill += x[i] != 77;
    }
    OK(!a.st->code, "%s n %d", fft_names[kind], n);
    OK(!bad, "%s n %d lines %d: %d numbers differ", fft_names[kind], n, lines, bad);
    OK(!spill, "%s n %d lines %d: %d numbers outside", fft_names[kind], n, lines, spill);
}

static void fft_layouts(fd_arena a)
{
    static const int size[] = { 1, 2, 3, 4, 7, 8, 12, 13, 16, 17, 30, 32, 45, 64, 77, 131, 226,
                                256, 272, 544, 1120 };
    for (size_t s = 0; s < sizeof size / sizeof *size; s++)
        for (int kind = FD_C2C; kind <= FD_DST4; kind++) {
            int n = size[s];
            if (kind == FD_DCT1 && n < 2) continue;
            for (int lines = 1; lines <= 40; lines += n > 255 ? 13 : lines < 3 ? 1 : 6 + lines % 5)
                fft_layout(kind, n, lines, a);
        }
}

static void fft_threads(fd_arena a)
{
    enum { LINES = 700, N = 90 };
    fd_real *x = fd_new(&a, fd_real, 2 * LINES * N), *y = fd_new(&a, fd_real, 2 * LINES * N);
    uint64_t hash[4];
    fft_fill(2 * LINES * N, x);
    for (int kind = FD_C2C; kind <= FD_DST4; kind++) {
        int unit = kind == FD_C2C ? 2 : 1;
        fd_arena b = a;
        const fd_fft *p = fd_fft_plan(&b, kind, N);
        for (int k = 0; k < 4; k++) {                  /* 1 and 5 threads, one call and three */
            memcpy(y, x, (size_t)(unit * LINES * N) * sizeof *x);
#ifdef _OPENMP
            int were = omp_get_max_threads();
            omp_set_num_threads(k & 1 ? 5 : 1);
#endif
            if (k < 2) fd_fft_run(p, -1, 1, LINES, N, 1, y, b);
            else {
                fd_fft_run(p, -1, 1, 21, N, 1, y, b);
                fd_fft_run(p, -1, 1, 600, N, 1, y + 21 * N * unit, b);
                fd_fft_run(p, -1, 1, LINES - 621, N, 1, y + 621 * N * unit, b);
            }
#ifdef _OPENMP
            omp_set_num_threads(were);
#endif
            hash[k] = test_hash(y, (size_t)(unit * LINES * N) * sizeof *y);
        }
        OK(!b.st->code, "%s", fft_names[kind]);
        for (int k = 1; k < 4; k++) OK(hash[k] == hash[0], "%s: way %d", fft_names[kind], k);
    }
}

/* Linearity, shift, Parseval, inverses, on long lines of several kinds of length. */
static void fft_theorems(fd_arena a)
{
    static const int size[] = { 105, 128, 210, 509, 1001, 4099, 6000, 8192 };
    for (size_t s = 0; s < sizeof size / sizeof *size; s++) {
        int n = size[s], at = n / 3;
        fd_arena b = a;
        fd_real *x = fd_new(&b, fd_real, 2 * n), *y = fd_new(&b, fd_real, 2 * n);
        fd_real *z = fd_new(&b, fd_real, 2 * n);
        const fd_fft *p = fd_fft_plan(&b, FD_C2C, n);
        double tol = TOL(2e-15, 1e-6);
        long double e = 0, f = 0, d = 0;
        fft_fill(2 * n, x);
        for (int j = 0; j < n; j++)                    /* z_j = x_j-at: times exp(-2 pi i k at/n) */
            memcpy(z + 2 * ((j + at) % n), x + 2 * j, 2 * sizeof *x);
        for (int j = 0; j < 2 * n; j++) { y[j] = x[j]; e += (long double)x[j] * x[j]; }
        fd_fft_run(p, -1, 1, 1, n, 1, y, b);
        fd_fft_run(p, -1, 1, 1, n, 1, z, b);
        for (int k = 0; k < n; k++) {
            double t = 6.28318530717958647692 * (double)((long long)k * at % n) / n;
            double re = y[2 * k] * cos(t) + y[2 * k + 1] * sin(t) - z[2 * k];
            double im = y[2 * k + 1] * cos(t) - y[2 * k] * sin(t) - z[2 * k + 1];
            f += (long double)y[2 * k] * y[2 * k] + (long double)y[2 * k + 1] * y[2 * k + 1];
            d += re * re + im * im;
        }
        NEAR((double)sqrtl(d / f), 0, tol, "shift, n %d", n);
        NEAR((double)(f / (n * e)), 1, tol, "Parseval, n %d", n);
        fd_fft_run(p, 1, 1.0 / n, 1, n, 1, y, b);
        NEAR(test_rel(2 * n, y, x), 0, tol, "there and back, n %d", n);
        for (int j = 0; j < 2 * n; j++) { z[j] = fft_draw(); y[j] = (fd_real)2.385 * x[j] - z[j]; }
        fd_fft_run(p, -1, 1, 1, n, 1, x, b);
        fd_fft_run(p, -1, 1, 1, n, 1, y, b);
        fd_fft_run(p, -1, 1, 1, n, 1, z, b);
        for (int j = 0; j < 2 * n; j++) z[j] = (fd_real)2.385 * x[j] - z[j];
        NEAR(test_rel(2 * n, y, z), 0, tol, "linearity, n %d", n);
        static const int pair[][3] = {
            { FD_R2C, FD_R2C, 0 }, { FD_DCT1, FD_DCT1, -1 }, { FD_DCT2, FD_DCT3, 0 },
            { FD_DCT4, FD_DCT4, 0 }, { FD_DST1, FD_DST1, 1 }, { FD_DST2, FD_DST3, 0 },
            { FD_DST4, FD_DST4, 0 } };
        for (size_t k = 0; k < sizeof pair / sizeof *pair; k++) {
            fd_arena c = b;
            double norm = pair[k][0] == FD_R2C ? n : 2.0 * (n + pair[k][2]);
            fft_fill(n, x);
            memcpy(y, x, (size_t)n * sizeof *x);
            fd_fft_run(fd_fft_plan(&c, pair[k][0], n), -1, 1, 1, n, 1, y, c);
            fd_fft_run(fd_fft_plan(&c, pair[k][1], n), 1, 1 / norm, 1, n, 1, y, c);
            OK(!c.st->code, "%s n %d", fft_names[pair[k][0]], n);
            NEAR(test_rel(n, y, x), 0, tol, "%s and back, n %d", fft_names[pair[k][0]], n);
        }
    }
}

/* Direct sums on a grid, at every step-th place: back 0: u of x; back 1: x of u as numpy, the other
 * axes first (inner columns twice, imaginary parts of the self-conjugate ones dropped). Returns the
 * relative L2 error. */
static double fft_grid_error(int nd, const int n[], double scale, const fd_real *x,
                             const fd_cplx *u, int back, int step)
{
    int last = n[nd - 1], half = last / 2 + 1, rows = 1;
    long double d = 0, r = 0;
    for (int i = 0; i < nd - 1; i++) rows *= n[i];
    for (int o = 0; o < rows * (back ? last : half); o += step) {
        int oc = o % (back ? last : half), orow = o / (back ? last : half);
        long double re = 0, im = 0, w[2], g[2];
        for (int i = 0; i < rows * (back ? half : last); i++) {
            int ic = i % (back ? half : last), irow = i / (back ? half : last);
            long double t = (long double)((long long)oc * ic % last) / last;
            for (int k = nd - 2, p = orow, q = irow; k >= 0; p /= n[k], q /= n[k], k--)
                t += (long double)((p % n[k]) * (q % n[k]) % n[k]) / n[k];
            t *= 6.28318530717958647692528676655900577L;
            long double c = cosl(t), s = sinl(t);
            if (back) re += (ic == 0 || 2 * ic == last ? 1 : 2) * (u[i].re * c - u[i].im * s);
            else { re += x[i] * c; im -= x[i] * s; }
        }
        w[0] = scale * re;
        w[1] = scale * im;
        g[0] = back ? x[o] : u[o].re;
        g[1] = back ? 0 : u[o].im;
        for (int e = 0; e < 2; e++) { d += (g[e] - w[e]) * (g[e] - w[e]); r += w[e] * w[e]; }
    }
    return (double)sqrtl(d / r);
}

static void fft_grids(fd_arena a)
{
    static const struct { int nd, n[4]; } row[] = {
        { 1, { 1 } }, { 1, { 7 } }, { 1, { 8 } }, { 1, { 90 } }, { 2, { 5, 6 } }, { 2, { 6, 5 } },
        { 2, { 1, 9 } }, { 2, { 9, 1 } }, { 2, { 16, 18 } }, { 2, { 33, 8 } }, { 2, { 3, 544 } },
        { 2, { 272, 3 } }, { 3, { 3, 5, 7 } }, { 3, { 4, 3, 8 } }, { 3, { 2, 2, 2 } },
        { 3, { 1, 1, 1 } }, { 3, { 6, 1, 10 } }, { 4, { 2, 3, 4, 5 } },
        { 2, { 52, 6 } }, { 2, { 26, 3 } }, { 2, { 128, 4 } }, { 1, { 509 } },
        { 2, { 263, 4 } }, { 2, { 111, 4 } } };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        const double tol = (row[k].n[0] > 250 ? 1.5 : 1) * TOL(4e-16, 2e-7);
        const int B = k % 2 ? 28 : 37;              /* many or few behind the last whole vector */
        int nd = row[k].nd, reals = 1, cplx = 1, bad = 0;
        const int *n = row[k].n;
        fd_arena b = a;
        for (int i = 0; i < nd; i++) { reals *= n[i]; cplx *= i == nd - 1 ? n[i] / 2 + 1 : n[i]; }
        fd_real *x = fd_new(&b, fd_real, B * reals), *y = fd_new(&b, fd_real, B * reals);
        fd_cplx *u = fd_new(&b, fd_cplx, B * cplx), *w = fd_new(&b, fd_cplx, B * cplx);
        const int step = 1 + reals / 100;
        fft_fill(B * reals, x);
        fd_rfftn(nd, n, B, 0.7, x, u, b);
        for (int i = 0; i < B; i += 18)
            NEAR(fft_grid_error(nd, n, 0.7, x + i * reals, u + i * cplx, 0, step), 0, tol,
                 "rfftn, %d axes %d %d %d, function %d", nd, n[0], n[1], n[2], i);
        for (int i = 0; i < B && nd == 1; i++)             /* sums of real numbers: no rounding */
            bad += u[i * cplx].im != 0 || (n[0] % 2 == 0 && u[(i + 1) * cplx - 1].im != 0);
        for (int i = 0; i < B; i++) fd_rfftn(nd, n, 1, 0.7, x + i * reals, w + i * cplx, b);
        bad += !!memcmp(u, w, (size_t)(B * cplx) * sizeof *u);
        for (int i = 0; i < B * cplx; i++) {                   /* no symmetry at all */
            u[i].re = fft_draw();
            u[i].im = fft_draw();
        }
        memcpy(w, u, (size_t)(B * cplx) * sizeof *u);
        fd_irfftn(nd, n, B, 0.7, u, x, b);
        bad += !!memcmp(u, w, (size_t)(B * cplx) * sizeof *u);
        for (int i = 0; i < B; i += 18)
            NEAR(fft_grid_error(nd, n, 0.7, x + i * reals, u + i * cplx, 1, step), 0, tol,
                 "irfftn, %d axes %d %d %d, function %d", nd, n[0], n[1], n[2], i);
        for (int i = 0; i < B; i++) fd_irfftn(nd, n, 1, 0.7, u + i * cplx, y + i * reals, b);
        bad += !!memcmp(x, y, (size_t)(B * reals) * sizeof *x);
        OK(!bad, "%d axes %d %d %d: bits depend on the batch, u changed, or X_0 is not real", nd,
           n[0], n[1], n[2]);
        OK(!b.st->code, "grids");
    }
    /* a column k_last = 0 without symmetry acts as its projection (U_k + conj U_-k)/2 */
    enum { N0 = 6, N1 = 10, H = 6 };
    fd_cplx u[N0 * H], v[N0 * H];
    fd_real x[N0 * N1], y[N0 * N1];
    for (int i = 0; i < N0 * H; i++) { u[i].re = fft_draw(); u[i].im = fft_draw(); v[i] = u[i]; }
    for (int k = 0; k < N0; k++)
        for (int c = 0; c < H; c += H - 1) {
            fd_cplx p = u[k * H + c], q = u[(N0 - k) % N0 * H + c];
            v[k * H + c].re = (p.re + q.re) / 2;
            v[k * H + c].im = (p.im - q.im) / 2;
        }
    fd_irfftn(2, (int[]){ N0, N1 }, 1, 1, u, x, a);
    fd_irfftn(2, (int[]){ N0, N1 }, 1, 1, v, y, a);
    NEAR(test_rel(N0 * N1, x, y), 0, TOL(4e-16, 2e-7), "projection of the self-conjugate columns");
}

static void fft_errors(void)
{
    static const struct { int kind, n, code; } row[] = {
        { FD_C2C, 0, FD_ESHAPE }, { FD_DCT1, 1, FD_ESHAPE }, { FD_R2C, -3, FD_ESHAPE },
        { FD_C2C, 1 << 30, FD_ESHAPE }, { FD_R2C, (1 << 28) + 1, FD_ESHAPE }, { -1, 8, FD_EARG },
        { FD_DST4 + 1, 8, FD_EARG } };
    char text[200];
    fd_status st;
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        fd_arena a = test_arena(1 << 16, &st);
        fd_real x[3] = { 1, 2, 3 };
        OK(!fd_fft_plan(&a, row[k].kind, row[k].n), "row %d", (int)k);
        OK(st.code == row[k].code && st.v[0] == row[k].kind
           && (st.nv == 1 || st.v[1] == row[k].n), "row %d: %d", (int)k, st.code);
        fd_fft_run(NULL, -1, 1, 1, 3, 1, x, a);
        OK(x[0] == 1 && x[1] == 2 && x[2] == 3, "row %d", (int)k);
        fd_explain(&st, text, sizeof text);
        OK(strstr(text, "fd_fft_plan"), "'%s'", text);
        test_free();
    }
    fd_arena a = test_arena(1 << 16, &st);
    fd_real x[4] = { 1, 2, 3, 4 };
    fd_cplx u[4] = { { 5, 6 } };
    fd_rfftn(0, (int[]){ 4 }, 1, 1, x, u, a);
    OK(st.code == FD_ESHAPE && u[0].re == 5, "no axes");
    st.code = 0;
    fd_rfftn(FD_MAXD + 1, (int[FD_MAXD + 1]){ 4 }, 1, 1, x, u, a);
    OK(st.code == FD_ESHAPE && st.v[0] == FD_MAXD + 1 && u[0].re == 5, "too many axes");
    st.code = 0;
    fd_fft_run(fd_fft_plan(&a, FD_DCT2, 4), 1, 1, 0, 4, 1, x, a);
    OK(!st.code && x[0] == 1 && x[3] == 4, "no lines");
    for (int kind = FD_C2C; kind <= FD_DST4; kind++) {
        st.code = 0;
        OK(!fd_fft_plan(&a, kind, (1 << 28) - 57) && st.code == FD_ENOMEM, "a longest one: %d",
           st.code);
    }
    fd_irfftn(1, (int[]){ 4 }, 1, 1, u, x, a);
    OK(x[0] == 1, "after a failure nothing is done");
    test_free();
}

/* Functions so large that they go one at a time, or a few: a delta at the origin has the spectrum
 * 1. */
static void fft_large(int N0, int N1, int B)
{
    const int H = N1 / 2 + 1;
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_real *x = fd_new(&a, fd_real, B * N0 * N1);
    fd_cplx *u = fd_new(&a, fd_cplx, B * N0 * H);
    double most = 0;
    if (!u) { OK(0, "memory"); return; }
    for (int i = 0; i < B; i++) x[i * N0 * N1] = (fd_real)(i + 1);
    fd_rfftn(2, (int[]){ N0, N1 }, B, 1, x, u, a);
    for (int k = 0; k < B * N0 * H; k++)
        most = fmax(most, fabs((double)u[k].re - (k / (N0 * H) + 1)) + fabs((double)u[k].im));
    NEAR(most, 0, 0, "spectrum of a delta");
    fd_irfftn(2, (int[]){ N0, N1 }, B, 1. / (N0 * N1), u, x, a);
    for (int i = 0; i < B; i++) x[i * N0 * N1] -= (fd_real)(i + 1);
    most = 0;
    for (int i = 0; i < B * N0 * N1; i++) most = fmax(most, fabs((double)x[i]));
    NEAR(most, 0, 20 * EPS, "and back");
    OK(!st.code, "large");
    test_free();
}

struct starve { int sign, nd, n[3], b; };
static const fd_real *fft_starve_in;
static void fft_starve_run(const void *self, fd_real *out, fd_arena a)
{
    const struct starve *r = self;
    if (r->sign < 0) fd_rfftn(r->nd, r->n, r->b, 1.5, fft_starve_in, (fd_cplx *)out, a);
    else fd_irfftn(r->nd, r->n, r->b, 1.5, (const fd_cplx *)fft_starve_in, out, a);
}

/* No run writes behind what it says that it needs. */
static void fft_within(void)
{
    enum { ROOM = 1 << 16, BEHIND = 256 };
    static unsigned char room[ROOM + 64], behind[BEHIND];
    static fd_real x[2 * 40];
    unsigned char *const at = room + ((size_t)(0 - (uintptr_t)room) & 63);
    fd_status st;
    fd_arena plans = test_arena(1 << 22, &st);
    memset(behind, 0xa5, sizeof behind);
    for (int kind = FD_C2C; kind <= FD_DST4; kind++)
        for (int n = 2; n <= 40; n++)
            for (int sign = -1; sign <= 1; sign += 2) {
                fd_status own;
                fd_arena a = plans;
                const fd_fft *p = fd_fft_plan(&a, kind, n);
                for (int i = 0; i < 80; i++) x[i] = (fd_real)(1 + i % 7);
                fd_fft_run(p, sign, 1, 1, n, 1, x, fd_arena_over(at, ROOM - BEHIND, &own));
                const size_t need = fd_need(&own, at);
                fd_show(at, ROOM);
                memset(at + need, 0xa5, BEHIND);
                fd_fft_run(p, sign, 1, 1, n, 1, x, fd_arena_over(at, need, &own));
                OK(!own.code && !memcmp(at + need, behind, BEHIND), "kind %d, length %d, sign %d",
                   kind, n, sign);
            }
}

/* Every arena from nothing to enough: FD_ENOMEM, or the right answer. */
static void fft_starved(void)
{
    static const struct { int kind, n; } row[] = {
        { FD_C2C, 30 }, { FD_C2C, 139 }, { FD_C2C, 256 }, { FD_R2C, 45 }, { FD_R2C, 139 },
        { FD_DCT2, 16 }, { FD_DCT4, 15 }, { FD_DST1, 10 }, { FD_DST1, 11 }, { -1, 6 },
        { FD_C2C, 293 }, { FD_R2C, 599 } };
    enum { SIZE = 1 << 20 };
    fd_status st, ref;
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        int n = row[k].n, kind = row[k].kind, done = 0, bad = 0, runs = 0;
        fd_real x[600], want[600], y[600];
        fft_fill(600, x);
        for (size_t size = SIZE; !done; size = size == SIZE ? 0 : size + 64 * (1 + size / 4096)) {
            fd_arena a = test_arena(size, size == SIZE ? &ref : &st);
            memcpy(y, x, sizeof y);
            if (kind < 0) {
                fd_rfftn(2, (int[]){ n, n }, 2, 1, x, (fd_cplx *)y, a);
                fd_irfftn(2, (int[]){ n, n }, 2, 1, (fd_cplx *)y, y + 200, a);
            } else {
                fd_fft *p = fd_fft_plan(&a, kind, n);
                fd_fft_run(p, -1, 1, 1, n, 1, y, a);
            }
            if (size == SIZE) { memcpy(want, y, sizeof y); OK(!ref.code, "row %d", (int)k); }
            else {
                runs++;
                done = !st.code || size > SIZE;
                if (st.code ? st.code != FD_ENOMEM : !!memcmp(want, y, sizeof y)) bad++;
            }
            test_free();
        }
        OK(!bad && !st.code && runs > 3, "row %d: %d of %d arenas", (int)k, bad, runs);
    }
}

/* a transform that lacks memory leaves its output as it was; large enough for threads */
static void fft_untouched(void)
{
    static const struct starve row[] = {
        { -1, 2, { 5, 6 }, 3 }, { 1, 2, { 5, 6 }, 19 }, { -1, 1, { 139 }, 2 }, { 1, 1, { 64 }, 3 },
        { -1, 2, { 128, 160 }, 5 }, { 1, 2, { 128, 160 }, 5 }, { 1, 3, { 4, 64, 72 }, 2 },
            { -1, 3, { 4, 3, 5 }, 17 }, { -1, 2, { 5, 6 }, 37 } };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        ptrdiff_t n = 2 * row[k].b;
        char what[80];
        for (int i = 0; i < row[k].nd; i++) n *= i == row[k].nd - 1
            ? row[k].n[i] / 2 + 1 : row[k].n[i];
        fd_real *x = malloc((size_t)n * sizeof *x);
        if (!x) { OK(0, "memory"); return; }
        fft_fill(n, x);
        sprintf(what, "grid %d", (int)k);
        fft_starve_in = x;
        test_starve(what, fft_starve_run, &row[k], n, x);
        free(x);
    }
}

/* fd_fft_room says what a run takes from its arena, to the byte, on any number of threads */
size_t fd_fft_room(const fd_fft *p, ptrdiff_t lines, ptrdiff_t stride, int threads);
static void fft_rooms(void)
{
    static const struct { int kind, n, lines, stride; } row[] = {
        { FD_C2C, 30, 1, 1 }, { FD_C2C, 30, 2000, 1 }, { FD_R2C, 45, 2000, 1 },
        { FD_DCT2, 16, 4000, 2 }, { FD_R2C, 2048, 100, 1 }, { FD_R2C, 2048, 100, 3 } };
    enum { ALL = 1 << 23 };
    fd_status st;
    const int most = test_most_threads();
    for (size_t k = 0; k < sizeof row / sizeof *row; k++)
        for (int threads = 1; threads < 4; threads++) {
            const int n = row[k].n, lines = row[k].lines, stride = row[k].stride;
            fd_arena a = test_arena(ALL, &st);
            fd_fft *p = fd_fft_plan(&a, row[k].kind, n);
            fd_real *x = fd_new(&a, fd_real, (row[k].kind == FD_C2C ? 2 : 1) * lines * n * stride);
            a.beg += (size_t)(0 - (uintptr_t)a.beg) & 63;
            const size_t left = (size_t)(a.end - a.beg);
            test_use_threads(threads);
            fd_fft_run(p, -1, 1, lines, n * stride, stride, x, a);
#ifndef _OPENMP
            threads = 1;
#endif
            OK(!st.code && left - st.low == fd_fft_room(p, lines, stride, threads),
               "row %d, %d threads: %ld of %ld bytes", (int)k, threads, (long)(left - st.low),
               (long)fd_fft_room(p, lines, stride, threads));
            test_free();
#ifndef _OPENMP
            break;
#endif
        }
    test_use_threads(most);
}

void test_fft(void)
{
    fd_status st;
    fd_arena a = test_arena((size_t)1 << 26, &st);
    fft_definitions(a);
    fft_layouts(a);
    fft_threads(a);
    fft_theorems(a);
    fft_grids(a);
    test_free();
    const int most = test_most_threads();
    for (int all = 0; all < 2; all++) {
        test_use_threads(all ? most : 1);
        fft_large(512, 260, 3);
        fft_large(200, 200, 4);
    }
    fft_errors();
    fft_starved();
    fft_within();
    fft_untouched();
    fft_rooms();
}
