/* test_space.c -- spaces and covariance operators against their formulas, written out again. */
#include "test.h"
#include <limits.h>

static const double pi = 3.14159265358979323846;
static const char *const bname[] = { "periodic", "neumann", "dirichlet", "mixed" };

/* ---- The table of fd.h ----------------------------------------------------------------------- */

static double point(int bc, int n, double L, int i)
{
    return bc == FD_PERIODIC ? i * L / n
         : bc == FD_DIRICHLET ? (i + 1) * L / (n + 1) : (i + .5) * L / n;
}

static int nyquist(int bc, int n, int j) { return bc == FD_PERIODIC && n % 2 == 0 && j == n - 1; }

static double wave(int bc, double L, int j)
{
    switch (bc) {
    case FD_PERIODIC:  return 2 * pi * ((j + 1) / 2) / L;
    case FD_NEUMANN:   return pi * j / L;
    case FD_DIRICHLET: return pi * (j + 1) / L;
    default:           return pi * (j + .5) / L;
    }
}

static double mode(int bc, int n, double L, int j, double x)
{
    double w = wave(bc, L, j) * x, r = sqrt(2 / L);
    if (nyquist(bc, n, j)) return cos(w) / sqrt(L);
    if (bc == FD_PERIODIC) return j == 0 ? 1 / sqrt(L) : r * (j % 2 ? cos(w) : sin(w));
    if (bc == FD_NEUMANN) return j == 0 ? 1 / sqrt(L) : r * cos(w);
    return r * sin(w);
}

/* e_k(x) of a grid, by the formulas; xi: indices of a point of grid p */
static double mode_at(const fd_space *s, const int j[3], const fd_space *p, const int i[3])
{
    double e = 1;
    for (int a = 0; a < s->nd; a++)
        e *= mode(s->bc[a], s->n[a], s->len[a], j[a], point(p->bc[a], p->n[a], p->len[a], i[a]));
    return e;
}

static void split(const fd_space *s, ptrdiff_t k, int j[3])
{
    j[2] = s->nd > 2 ? (int)(k % s->n[2]) : 0;
    if (s->nd > 2) k /= s->n[2];
    j[1] = s->nd > 1 ? (int)(k % s->n[1]) : 0;
    if (s->nd > 1) k /= s->n[1];
    j[0] = (int)k;
}

static int is_nyquist(const fd_space *s, ptrdiff_t k)
{
    int j[3], y = 0;
    split(s, k, j);
    for (int a = 0; a < s->nd; a++) y |= nyquist(s->bc[a], s->n[a], j[a]);
    return y;
}

static fd_real *noise(fd_arena *a, ptrdiff_t n, uint32_t which)
{
    fd_real *x = fd_raw(a, fd_real, n);
    fd_normal(fd_stream(fd_seed(2385), 't', which), n, x);
    return x;
}

/* ---- Spaces ---------------------------------------------------------------------------------- */

static void modes_1d(fd_arena a)
{
    for (int bc = 0; bc < 4; bc++)
        for (int n = 1; n <= 12; n++) {
            fd_arena m = a;
            const double L = 2.385;
            fd_space s = fd_grid(&m, 1, &n, &L, &bc, 1);
            fd_real *e = fd_new(&m, fd_real, n * n), *u = fd_new(&m, fd_real, n * n);
            double *mu = fd_new(&m, double, n), worst = 0, unit = 0, gram = 0;
            for (int j = 0; j < n; j++) u[j * n + j] = 1;
            fd_from_modes(&s, n, u, e, m);
            fd_to_modes(&s, n, e, u, m);
            fd_laplace(&s, mu, m);
            OK(s.points == n && s.modes == n && fd_size(&s) == n, "%s %d: sizes", bname[bc], n);
            NEAR(s.h, L / (n + (bc == FD_DIRICHLET)), 1e-15, "%s %d: h", bname[bc], n);
            for (int j = 0; j < n; j++) {
                int k[3] = { -1, -1, -1 };
                OK(fd_mode(&s, j, k) == nyquist(bc, n, j) && k[0] == j && !k[1] && !k[2],
                   "%s %d: index of mode %d", bname[bc], n, j);
                NEAR(mu[j], pow(wave(bc, L, j), 2), 1e-12 * (1 + mu[j]), "%s %d: mu %d", bname[bc],
                     n, j);
                NEAR(fd_coord(&s, 0, j), point(bc, n, L, j), 1e-15 * L, "%s %d: point %d",
                     bname[bc], n, j);
                for (int i = 0; i < n; i++) {
                    worst = fmax(worst, fabs((double)e[j * n + i]
                                             - mode(bc, n, L, j, point(bc, n, L, i))));
                    unit = fmax(unit, fabs((double)u[j * n + i] - (i == j)));
                    gram = fmax(gram, fabs(fd_inner(&s, e + i * n, e + j * n) - (i == j)));
                }
            }
            NEAR(worst, 0, TOL(2e-14, 2e-6), "%s %d: modes", bname[bc], n);
            NEAR(unit, 0, TOL(2e-14, 2e-6), "%s %d: coefficients of modes", bname[bc], n);
            NEAR(gram, 0, TOL(2e-14, 2e-6), "%s %d: orthonormal", bname[bc], n);
        }
}

/* row r: wavenumbers and eigenvalues of the Laplacian of each mode */
static void laplacian(const fd_space *s, size_t r, int code, fd_arena m)
{
    double *mu = fd_new(&m, double, s->points);
    fd_laplace(s, mu, m);
    for (ptrdiff_t k = 0; k < s->points; k++) {
        int j[3], t[3];
        double want = 0;
        split(s, k, j);
        for (int d = 0; d < s->nd; d++) want += pow(wave((code >> 2 * d & 3), s->len[d], j[d]), 2);
        if (fd_mode(s, k, t) != is_nyquist(s, k) || memcmp(j, t, sizeof j)
            || !(fabs(mu[k] - want) <= 1e-12 * want))
            OK(0, "row %zu bc %d: mode %td", r, code, k);
    }
}

/* many functions, more than a block of the cache */
static void many_functions(fd_arena a)
{
    fd_space s = fd_grid(&a, 2, (int[]){ 48, 40 }, NULL, (int[]){ 0, 1 }, 1);
    ptrdiff_t n = s.points;
    fd_real *x = noise(&a, 40 * n, 3), *u = fd_raw(&a, fd_real, 40 * n);
    fd_real *w = fd_raw(&a, fd_real, 40 * n);
    fd_to_modes(&s, 40, x, u, a);
    for (int i = 0; i < 40; i += 5) fd_to_modes(&s, 5, x + i * n, w + i * n, a);
    OK(!memcmp(u, w, (size_t)(40 * n) * sizeof *u), "40 functions at once or 5 at a time");
    fd_from_modes(&s, 40, u, u, a);
    NEAR(test_rel(40 * n, u, x), 0, TOL(1e-14, 2e-6), "there and back");
}

static void transforms(fd_arena a)
{
    static const struct { int nd, n[3]; double len[3]; } row[] = {
        { 1, { 31 }, { 1 } }, { 1, { 64 }, { .3 } }, { 1, { 120 }, { 20 } },
        { 2, { 4, 6 }, { 2.385, .7 } }, { 2, { 5, 3 }, { 1, 1 } }, { 2, { 7, 1 }, { 3, 2.385 } },
        { 2, { 6, 6 }, { 1, 2 } }, { 3, { 3, 5, 7 }, { 2.385, 1, .5 } },
        { 3, { 4, 1, 6 }, { 1, 2, 3 } }, { 3, { 2, 4, 4 }, { 1, 1, 1 } },
    };
    const int b = 2, ch = 3;
    for (size_t r = 0; r < sizeof row / sizeof row[0]; r++)
        for (int code = 0; code < (row[r].nd == 1 ? 4 : row[r].nd == 2 ? 16 : 64);
             code += row[r].nd == 3 ? 5 : 1) {
            fd_arena m = a;
            int bc[3] = { code & 3, code >> 2 & 3, code >> 4 & 3 };
            fd_space s = fd_grid(&m, row[r].nd, row[r].n, row[r].len, bc, ch);
            ptrdiff_t P = s.points, all = b * fd_size(&s);
            fd_real *x = noise(&m, all, 1), *u = fd_raw(&m, fd_real, all);
            fd_real *y = fd_raw(&m, fd_real, all);
            fd_real *x0 = fd_raw(&m, fd_real, all), *w = fd_raw(&m, fd_real, all);
            double *e = fd_raw(&m, double, P * P);
            memcpy(x0, x, (size_t)all * sizeof *x);
            for (ptrdiff_t k = 0; k < P; k++)
                for (ptrdiff_t i = 0; i < P; i++) {
                    int j[3], p[3];
                    split(&s, k, j);
                    split(&s, i, p);
                    e[k * P + i] = mode_at(&s, j, &s, p);
                }
            fd_to_modes(&s, b, x, u, m);
            fd_from_modes(&s, b, x, y, m);                  /* any numbers are coefficients, too */
            OK(test_maxdiff(all, x, x0) == 0, "input untouched");
            double du = 0, dy = 0, h = s.h, top = 0;
            for (ptrdiff_t q = 0; q < b * ch; q++)
                for (ptrdiff_t k = 0; k < P; k++) {
                    double su = 0, sy = 0;
                    for (ptrdiff_t i = 0; i < P; i++) {
                        su += h * (double)x[q * P + i] * e[k * P + i];
                        sy += (double)x[q * P + i] * e[i * P + k];
                    }
                    du = fmax(du, fabs(su - (double)u[q * P + k]));
                    dy = fmax(dy, fabs(sy - (double)y[q * P + k]));
                    top = fmax(top, fabs(sy));
                }
            NEAR(du / sqrt(h), 0, TOL(2e-13, 6e-6), "row %zu bc %d: to modes", r, code);
            NEAR(dy / top, 0, TOL(5e-14, 2e-6), "row %zu bc %d: from modes", r, code);
            double p = 0;
            for (ptrdiff_t k = 0; k < fd_size(&s); k++)
                p += (double)u[k] * (double)u[fd_size(&s) + k];
            NEAR(p / h, fd_inner(&s, x, x + fd_size(&s)) / h, TOL(1e-12, 2e-4),
                 "row %zu bc %d: Parseval", r, code);
            memcpy(w, x, (size_t)all * sizeof *x);
            fd_to_modes(&s, b, w, w, m);
            OK(!memcmp(w, u, (size_t)all * sizeof *x), "row %zu bc %d: in place", r, code);
            memcpy(w, x, (size_t)all * sizeof *x);
            fd_from_modes(&s, b, w, w, m);
            OK(!memcmp(w, y, (size_t)all * sizeof *x), "row %zu bc %d: in place, back", r, code);
            for (int i = 0; i < b; i++)
                fd_to_modes(&s, 1, x + i * fd_size(&s), w + i * fd_size(&s), m);
            OK(!memcmp(w, u, (size_t)all * sizeof *x), "row %zu bc %d: one by one", r, code);
            laplacian(&s, r, code, m);
        }
    many_functions(a);
}

/* a band-limited function, known everywhere, on several grids */
static void resampling(fd_arena a)
{
    static const struct { int nd, from[3], to[3], band; } row[] = {
        { 1, { 16 }, { 32 }, 15 }, { 1, { 32 }, { 16 }, 15 }, { 1, { 15 }, { 31 }, 15 },
        { 1, { 31 }, { 15 }, 15 }, { 1, { 12 }, { 17 }, 11 }, { 1, { 17 }, { 12 }, 11 },
        { 1, { 9 }, { 9 }, 9 }, { 1, { 8 }, { 8 }, 7 }, { 1, { 2 }, { 5 }, 1 },
        { 2, { 6, 9 }, { 11, 10 }, 5 }, { 2, { 11, 10 }, { 6, 9 }, 5 },
        { 2, { 7, 12 }, { 9, 8 }, 7 },
        { 3, { 4, 5, 6 }, { 5, 7, 4 }, 3 }, { 3, { 5, 7, 4 }, { 4, 5, 8 }, 3 },
    };
    const double len[3] = { 2.385, .7, 1.3 };
    for (size_t r = 0; r < sizeof row / sizeof row[0]; r++)
        for (int code = 0; code < (row[r].nd == 1 ? 4 : row[r].nd == 2 ? 16 : 64);
             code += row[r].nd == 3 ? 3 : 1) {
            fd_arena m = a;
            int bc[3] = { code & 3, code >> 2 & 3, code >> 4 & 3 }, nd = row[r].nd, ch = 2;
            fd_space s = fd_grid(&m, nd, row[r].from, len, bc, ch);
            fd_space t = fd_grid(&m, nd, row[r].to, len, bc, ch);
            fd_real *x = fd_new(&m, fd_real, fd_size(&s)), *want = fd_new(&m, fd_real, fd_size(&t));
            fd_real *y = fd_new(&m, fd_real, fd_size(&t)), *z = noise(&m, ch * 400, (uint32_t)r);
            for (int c = 0; c < ch; c++)
                for (int k = 0; k < (nd == 1 ? row[r].band : nd == 2 ? row[r].band * row[r].band
                                     : row[r].band * row[r].band * row[r].band); k++) {
                    int j[3] = { k % row[r].band, k / row[r].band % row[r].band,
                                 k / row[r].band / row[r].band }, p[3];
                    const double u = (double)z[c * 400 + k];
                    for (ptrdiff_t i = 0; i < s.points; i++) {
                        split(&s, i, p);
                        x[c * s.points + i] += (fd_real)(u * mode_at(&s, j, &s, p));
                    }
                    for (ptrdiff_t i = 0; i < t.points; i++) {
                        split(&t, i, p);
                        want[c * t.points + i] += (fd_real)(u * mode_at(&s, j, &t, p));
                    }
                }
            fd_resample(&s, &t, 1, x, y, m);
            NEAR(test_rel(fd_size(&t), y, want), 0, TOL(2e-14, 5e-6), "row %zu bc %d", r, code);
        }
    /* Nyquist modes of either side are dropped */
    fd_space s = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_space t = fd_grid(&a, 1, (int[]){ 11 }, NULL, NULL, 1);
    fd_real u[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, w[11], v[8];
    fd_modes_between(&s, &t, 1, u, w);
    for (int k = 0; k < 11; k++) OK(w[k] == (k < 7 ? k + 1 : 0), "8 to 11: mode %d", k);
    for (int k = 0; k < 11; k++) w[k] = (fd_real)(k + 1);
    fd_modes_between(&t, &s, 1, w, v);
    for (int k = 0; k < 8; k++) OK(v[k] == (k < 7 ? k + 1 : 0), "11 to 8: mode %d", k);
}

/* Legendre polynomials on Gauss nodes: an exactly orthonormal basis with unequal weights */
static void dense(fd_arena a)
{
    static const double node[5] = { -.9061798459386640, -.5384693101056831, 0, .5384693101056831,
                                   .9061798459386640 };
    static const double wt[5] = { .2369268850561891, .4786286704993665, .5688888888888889,
                                  .4786286704993665, .2369268850561891 };
    fd_real basis[20], weight[5], x[20], u[16], y[20];
    for (int i = 0; i < 5; i++) {
        double t = node[i];
        weight[i] = (fd_real)wt[i];
        basis[i] = (fd_real)sqrt(.5);
        basis[5 + i] = (fd_real)(sqrt(1.5) * t);
        basis[10 + i] = (fd_real)(sqrt(2.5) * (1.5 * t * t - .5));
        basis[15 + i] = (fd_real)(sqrt(3.5) * (2.5 * t * t * t - 1.5 * t));
        for (int q = 0; q < 4; q++)                         /* 2 functions, 2 channels: cubics */
            x[q * 5 + i] = (fd_real)(1 + q * t - t * t * (q + 2.385) + t * t * t);
    }
    fd_space s = fd_dense(NULL, 5, 4, basis, weight, 2);
    OK(!s.nd && s.points == 5 && s.modes == 4 && fd_size(&s) == 10 && s.basis == basis,
       "dense space");
    fd_to_modes(&s, 2, x, u, a);
    for (int q = 0; q < 4; q++) {                           /* integrals of x P_k, by hand */
        double c2 = -(q + 2.385);
        NEAR((double)u[q * 4], sqrt(.5) * (2 + 2 * c2 / 3), TOL(1e-14, 2e-6), "constant");
        NEAR((double)u[q * 4 + 1], sqrt(1.5) * (2. * q / 3 + 2. / 5), TOL(1e-14, 2e-6), "linear");
        NEAR((double)u[q * 4 + 2], sqrt(2.5) * c2 * (3. / 5 - 1. / 3), TOL(1e-14, 2e-6),
             "quadratic");
        NEAR((double)u[q * 4 + 3], sqrt(3.5) * (5. / 7 - 3. / 5), TOL(1e-14, 2e-6), "cubic");
    }
    fd_from_modes(&s, 2, u, y, a);
    NEAR(test_maxdiff(20, x, y), 0, TOL(1e-14, 4e-6), "cubics are reached");
    fd_real w[20];
    memcpy(w, x, sizeof w);
    fd_to_modes(&s, 2, w, w, a);
    OK(!memcmp(w, u, sizeof u), "in place");
    fd_from_modes(&s, 2, w, w, a);
    OK(!memcmp(w, y, sizeof w), "in place, back");
    double p = 0;
    for (int k = 0; k < 8; k++) p += (double)u[k] * (double)u[8 + k];
    NEAR(fd_inner(&s, x, x + 10), p, TOL(1e-13, 2e-5), "Parseval");
    int j[3];
    OK(!fd_mode(&s, 3, j) && j[0] == 3 && !j[1], "index of a dense mode");
    fd_space g = fd_grid(&a, 1, (int[]){ 5 }, (double[]){ 2 }, (int[]){ FD_NEUMANN }, 1);
    fd_space l = fd_dense(&g, 5, 4, basis, weight, 3);
    OK(l.n[0] == 5 && l.bc[0] == FD_NEUMANN && l.len[0] == 2 && l.ch == 3 && !l.nd, "like a grid");
    NEAR(fd_coord(&l, 0, 1), .6, 1e-15, "coordinates like a grid");
}

/* the error of one call that must fail: code and text */
static void expect(fd_status *st, int code, const char *text)
{
    char line[256];
    fd_explain(st, line, sizeof line);
    OK(st->code == code, "code %d for '%s'", st->code, text);
    OK(!strcmp(line, text), "'%s', not '%s'", line, text);
    memset(st, 0, offsetof(fd_status, size));
}

/* failed and absent arguments: nothing happens. other: of two channels, of one axis, dense */
static void nothing_done(const fd_space *s, const fd_space *none, const fd_space other[3],
                         fd_arena a)
{
    fd_status *st = a.st;
    fd_real x[64] = { 0 }, y[64] = { 0 };
    double mu[64] = { 0 };
    x[0] = y[0] = 3;
    mu[0] = 3;
    for (int round = 0; round < 2; round++) {
        const fd_space *z = round ? none : NULL, *g = round ? s : NULL;
        fd_to_modes(z, 1, x, y, a);
        fd_from_modes(z, 1, x, y, a);
        fd_modes_between(z, s, 1, x, y);
        fd_modes_between(s, z, 1, x, y);
        fd_resample(z, s, 1, x, y, a);
        fd_resample(s, z, 1, x, y, a);
        fd_laplace(z, mu, a);
        fd_to_modes(g, 1, NULL, y, a);
        fd_from_modes(g, 1, x, NULL, a);
        fd_to_modes(g, 0, x, y, a);
        fd_from_modes(g, 1, NULL, y, a);
        fd_from_modes(g, 0, x, y, a);
        fd_modes_between(s, s, 1, NULL, y);
        fd_modes_between(s, s, 1, x, NULL);
        fd_modes_between(s, other, 1, x, y);
        fd_modes_between(s, other + 1, 1, x, y);
        fd_modes_between(other + 2, s, 1, x, y);
        fd_resample(s, s, 1, NULL, y, a);
        fd_resample(s, s, 1, x, NULL, a);
        fd_resample(s, s, 0, x, y, a);
        fd_laplace(s, NULL, a);
        fd_modes_at(z, 1, mu, NULL, y);
        fd_modes_at(other + 2, 1, mu, NULL, y);
        fd_modes_at(s, 1, NULL, NULL, y);
        fd_modes_at(s, 1, mu, NULL, NULL);
        OK(isnan(fd_inner(z, x, y)) && fd_size(z) == 0, "inner product of nothing");
        OK(isnan(fd_inner(s, NULL, y)) && isnan(fd_inner(s, x, NULL)), "of no function");
        OK(isnan(fd_wave(z, 0, mu + 1)) && isnan(mu[1]) && isnan(fd_wave(other + 2, 0, NULL)),
           "no wavenumber");
    }
    OK(y[0] == 3 && mu[0] == 3 && !st->code, "nothing done with nothing");
}

static void space_errors(fd_arena a)
{
    fd_status *st = a.st;
    const double bad = -1, nan = NAN;
    const int n[3] = { 4, 5, 6 }, zero[2] = { 4, 0 }, bc[2] = { 0, 7 };
    fd_real x[64] = { 0 }, y[64] = { 0 };
    double mu[64] = { 0 };
    int j[3];
    fd_space s = fd_grid(&a, 0, n, NULL, NULL, 1);
    OK(!s.nd && !s.points && !s.basis, "a failed space is empty");
    expect(st, FD_EARG, "fd_grid: a grid has 1 to 3 axes: 0");
    fd_grid(&a, 4, n, NULL, NULL, 1);
    expect(st, FD_EARG, "fd_grid: a grid has 1 to 3 axes: 4");
    fd_grid(&a, 2, n, NULL, NULL, 0);
    expect(st, FD_EARG, "fd_grid: channels must be at least 1: 0");
    fd_grid(&a, 2, zero, NULL, NULL, 1);
    expect(st, FD_EARG, "fd_grid: size must be at least 1: axis, size: 1, 0");
    fd_grid(&a, 2, n, NULL, bc, 1);
    expect(st, FD_EARG, "fd_grid: unknown boundary: axis, boundary: 1, 7");
    fd_grid(&a, 1, n, NULL, (int[]){ -1 }, 1);
    expect(st, FD_EARG, "fd_grid: unknown boundary: axis, boundary: 0, -1");
    fd_grid(&a, 1, n, &bad, NULL, 1);
    expect(st, FD_EARG, "fd_grid: length must be positive: axis: 0");
    fd_grid(&a, 1, n, &nan, NULL, 1);
    expect(st, FD_EARG, "fd_grid: length must be positive: axis: 0");
    fd_grid(&a, 3, (int[]){ 2000000000, 1, 2000000000 }, NULL, NULL, 1);
    expect(st, FD_EARG, "fd_grid: too many points: axis, size: 2, 2000000000");
    s = fd_grid(&a, 2, n, NULL, NULL, 1);
    fd_space t = fd_grid(&a, 1, n, NULL, NULL, 1);
    fd_space l = fd_grid(&a, 2, n, (double[]){ 1, 2 }, NULL, 1);
    fd_space c = fd_grid(&a, 2, n, NULL, NULL, 2), b = fd_grid(&a, 2, n, NULL, (int[]){ 0, 1 }, 1);
    fd_space d = fd_dense(NULL, 20, 1, x, y, 1), none = fd_dense(NULL, 20, 1, NULL, y, 1);
    OK(!none.points && !fd_dense(&t, 20, 1, x, y, 1).points, "failed dense spaces");
    const ptrdiff_t huge = PTRDIFF_MAX > INT_MAX ? PTRDIFF_MAX : -1;
    OK(!fd_dense(NULL, 20, 1, x, NULL, 1).points && !fd_dense(NULL, 0, 1, x, y, 1).points
       && !fd_dense(NULL, 20, -1, x, y, 1).points && !fd_dense(NULL, 20, 1, x, y, 0).points
       && !fd_dense(NULL, huge, 1, x, y, 1).points && !fd_dense(NULL, 20, huge, x, y, 1).points,
       "and of no weights, no points, no channels, too many");
    fd_resample(&s, &t, 1, x, y, a);
    expect(st, FD_ESHAPE, "fd_resample: numbers of axes differ: 2, 1");
    fd_resample(&s, &l, 1, x, y, a);
    expect(st, FD_ESHAPE, "fd_resample: lengths differ: axis: 1");
    fd_resample(&s, &b, 1, x, y, a);
    expect(st, FD_ESHAPE, "fd_resample: boundaries differ: axis: 1");
    fd_resample(&s, &c, 1, x, y, a);
    expect(st, FD_ESHAPE, "fd_resample: channels differ: 1, 2");
    fd_resample(&d, &s, 1, x, y, a);
    expect(st, FD_EARG, "fd_resample: needs a grid, not a dense space");
    fd_laplace(&d, mu, a);
    expect(st, FD_EARG, "fd_laplace: needs a grid, not a dense space");
    const fd_space wrong[3] = { c, t, d };
    nothing_done(&s, &none, wrong, a);
    y[0] = mu[0] = 3;
    FD_FAIL(st, FD_EIO, "here", "before");
    fd_to_modes(&s, 1, x, y, a);
    fd_from_modes(&s, 1, x, y, a);
    fd_resample(&s, &s, 1, x, y, a);
    fd_laplace(&s, mu, a);
    OK(!fd_grid(&a, 2, n, NULL, NULL, 1).nd, "no space after a failure");
    OK(y[0] == 3 && mu[0] == 3, "nothing done after a failure");
    expect(st, FD_EIO, "here: before");
    OK(!fd_mode(&s, 0, j), "alive again");
}

void test_spaces(void)
{
    fd_status st;
    fd_arena a = test_arena((size_t)24 << 20, &st);
    modes_1d(a);
    transforms(a);
    resampling(a);
    dense(a);
    space_errors(a);
    OK(!st.code, "%s: %s", st.where, st.what);
}

/* ---- Covariance operators -------------------------------------------------------------------- */

/* the families, with parameters that suit each boundary; lam of the physical mode by its formula */
enum { WHITE, BAND, RBF, EXP, MAT32, MAT52, MATERN, POWER, POWER0, BESSEL, BRIDGE, BROWNIAN,
      FAMILIES };
static const char *const fname[] = { "white", "band", "rbf", "exp", "matern 3/2", "matern 5/2",
                                    "matern 1.7",
                                     "power", "power tau 0", "bessel", "bridge", "brownian" };

static fd_cov *family(fd_arena *a, const fd_space *s, int f)
{
    switch (f) {
    case WHITE:    return fd_cov_white(a, s, 2.385, 0);
    case BAND:     return fd_cov_white(a, s, 2.385, 3);
    case RBF:      return fd_cov_rbf(a, s, 1.3, .11);
    case EXP:      return fd_cov_exp(a, s, 1.3, .2);
    case MAT32:    return fd_cov_matern(a, s, .7, .15, 1.5);
    case MAT52:    return fd_cov_matern(a, s, .7, .15, 2.5);
    case MATERN:   return fd_cov_matern(a, s, 2, .3, 1.7);
    case POWER:    return fd_cov_power(a, s, 11, 3, 1.1);
    case POWER0:   return fd_cov_power(a, s, 11, 0, 1.6);
    case BESSEL:   return fd_cov_bessel(a, s, 3, 2.5, 1.2);
    case BRIDGE:   return fd_cov_bridge(a, s, 1.9);
    default:       return fd_cov_brownian(a, s, 1.9);
    }
}

static double family_lam(const fd_space *s, int f, const int j[3])
{
    double w2 = 0, prod = 1, t, l;
    int d = s->nd, in = 1;
    for (int a = 0; a < d; a++) {
        double w = wave(s->bc[a], s->len[a], j[a]);
        if (nyquist(s->bc[a], s->n[a], j[a])) return 0;
        w2 += w * w;
        prod *= w * w;
        in &= w * s->len[a] / (s->bc[a] == FD_PERIODIC ? 2 * pi : pi) < 3.001;
    }
    switch (f) {
    case WHITE:    return 2.385;
    case BAND:     return in ? 2.385 : 0;
    case RBF:      return 1.3 * pow(sqrt(2 * pi) * .11, d) * exp(-.5 * .11 * .11 * w2);
    case EXP:      l = .2, t = 1 + l * l * w2;
                   return 1.3 * l / t
                        * (d == 1 ? 2 : d == 2 ? 2 * pi * l / sqrt(t) : 8 * pi * l * l / t);
    case MAT32:    t = 3 / (.15 * .15), l = t + w2;             /* 4 a^3, 6 pi a^3, 32 pi a^3 */
                   return .7 * t * sqrt(t) / (l * l)
                        * (d == 1 ? 4 : d == 2 ? 6 * pi / sqrt(l) : 32 * pi / l);
    case MAT52:    t = 5 / (.15 * .15), l = t + w2;             /* 16/3 a^5, 10 pi a^5, 64 pi a^5 */
                   return .7 * t * t * sqrt(t) / (l * l * l)
                        * (d == 1 ? 16. / 3 : d == 2 ? 10 * pi / sqrt(l) : 64 * pi / l);
    case MATERN:   t = 2 * 1.7 / .09;
                   return 2 * pow(4 * pi, .5 * d) * tgamma(1.7 + .5 * d) / tgamma(1.7) * pow(t, 1.7)
                        * pow(t + w2, -1.7 - .5 * d);
    case POWER:    return 11 * pow(w2 + 9, -1.1);
    case POWER0:   return w2 == 0 ? 0 : 11 * pow(w2, -1.6);
    case BESSEL:   return 3 * pow(2.5 + w2, -1.2);
    default:       return 1.9 / prod;
    }
}

/* does a family exist on axes of this boundary? */
static int allowed(int f, int bc)
{
    return f == BRIDGE ? bc == FD_DIRICHLET : f == BROWNIAN ? bc == FD_MIXED : 1;
}

static void eigenvalues(fd_arena a)
{
    static const int n[3] = { 6, 9, 4 };
    static const double len[3] = { 1, 2.385, .6 };
    for (int nd = 1; nd <= 3; nd++)
        for (int bc = 0; bc < 4; bc++)
            for (int f = 0; f < FAMILIES; f++) {
                if (!allowed(f, bc)) continue;
                fd_arena m = a;
                fd_space s = fd_grid(&m, nd, n, len, (int[]){ bc, bc, bc }, 1);
                fd_cov *c = family(&m, &s, f);
                double sum = 0;
                for (ptrdiff_t k = 0; c && k < s.modes; k++) {
                    int j[3];
                    split(&s, k, j);
                    double want = family_lam(&s, f, j);
                    sum += want;
                    if (!(fabs(c->lam[k] - want) <= 1e-12 * want))
                        NEAR(c->lam[k], want, 1e-12 * want, "%s, %s, %d axes: mode %td", fname[f],
                             bname[bc], nd, k);
                }
                NEAR(fd_cov_trace(c), sum, 1e-12 * sum, "%s, %s, %d axes: trace", fname[f],
                     bname[bc], nd);
            }
}

/* the sum of all eigenvalues is the kernel at 0, and of its images */
static void traces(fd_arena a)
{
    int n = 4095;
    fd_space s = fd_grid(&a, 1, &n, NULL, NULL, 1);
    /* beyond |k| = (n-1)/2 the sum of 2 l/(1 + l^2 w^2) is an integral, by the midpoint rule */
    const double l = .1, tail = 2 / pi * atan(1 / (2 * pi * l * (n / 2 + .5)));
    NEAR(fd_cov_trace(fd_cov_exp(&a, &s, 1, l)) + tail, 1 / tanh(1 / (2 * l)), 1e-9, "exponential");
    double r = sqrt(3) / l, want = 1;
    for (int m = 1; m < 5; m++) want += 2 * (1 + m * r) * exp(-m * r);
    NEAR(fd_cov_trace(fd_cov_matern(&a, &s, 1, l, 1.5)), want, 1e-8, "Matern 3/2");
    NEAR(want, 1.000001, 1e-6, "as published");
    r = sqrt(5) / l, want = 1;
    for (int m = 1; m < 5; m++) want += 2 * (1 + m * r + m * r * m * r / 3) * exp(-m * r);
    NEAR(fd_cov_trace(fd_cov_matern(&a, &s, 1, l, 2.5)), want, 1e-11, "Matern 5/2");
    NEAR(fd_cov_trace(fd_cov_rbf(&a, &s, 1, l)), 1, 1e-12, "squared exponential");
    NEAR(fd_cov_trace(fd_cov_matern(&a, &s, 1, l, 1e6)), 1, 1e-8, "Matern of large nu: trace");
    fd_cov *big = fd_cov_matern(&a, &s, 1, l, 1e6), *se = fd_cov_rbf(&a, &s, 1, l);
    NEAR(big->lam[5] / se->lam[5], 1, 1e-5, "Matern of large nu: an eigenvalue");
    /* two axes: the torus of 257^2, Matern 5/2, and the published initial field of [FNO] */
    fd_space t = fd_grid(&a, 2, (int[]){ 257, 257 }, NULL, NULL, 1);
    NEAR(fd_cov_trace(fd_cov_matern(&a, &t, 1, l, 2.5)), 1.0000001, 2e-6, "Matern 5/2, two axes");
    NEAR(fd_cov_trace(fd_cov_matern(&a, &t, 1, l, 1.5)), 1.000002, 1e-4, "Matern 3/2, two axes");
    for (int m = 32; m <= 128; m *= 2) {
        fd_space g = fd_grid(&a, 2, (int[]){ m, m }, NULL, NULL, 1);
        fd_cov *c = fd_cov_power(&a, &g, 2 * pow(7, 3), 7, 2.5);
        NEAR(fd_cov_trace(c) - c->lam[0], .0686, 1e-4, "pixel variance of the [FNO] field, %d", m);
    }
    OK(isnan(fd_cov_trace(NULL)), "of nothing");
    /* eigenvalues that have no inverse are 0 */
    fd_cov *smooth = fd_cov_rbf(&a, &s, 1, .2);
    int odd = 0;
    for (int k = 0; k < n; k++) odd += smooth->lam[k] != 0 && !(smooth->lam[k] >= 1e-300);
    OK(!odd && smooth->lam[n - 1] == 0, "%d eigenvalues too small", odd);
}

/* sum over the images of a source at y in 0..L, as the boundaries reflect it */
static double images(int bc, double L, double l, double x, double y)
{
    double sum = 0;
    for (int m = -3; m <= 3; m++) {
        double p = bc == FD_PERIODIC ? x - y + m * L : x - y + 2 * m * L, q = x + y + 2 * m * L;
        double sign = bc == FD_MIXED && m % 2 ? -1 : 1;
        double refl = bc == FD_PERIODIC ? 0 : bc == FD_NEUMANN ? 1 : -sign;
        sum += sign * exp(-.5 * p * p / l / l) + refl * exp(-.5 * q * q / l / l);
    }
    return sum;
}

static void kernels(fd_arena a)
{
    const double L[2] = { 1.2, 1.7 }, l = .22, var = .8;
    for (int code = 0; code < 16; code++)
        for (int nd = 1; nd <= 2; nd++) {
            if (nd == 1 && code > 3) continue;
            fd_arena m = a;
            int bc[2] = { code & 3, code >> 2 }, n[2] = { 27, 38 };
            fd_space s = fd_grid(&m, nd, n, L, bc, 1);
            fd_cov *c = fd_cov_rbf(&m, &s, var, l);
            fd_real *d = fd_new(&m, fd_real, s.points), *sd = fd_new(&m, fd_real, s.points);
            ptrdiff_t at = s.points / 3 + 2;
            int p[3], q[3];
            split(&s, at, q);
            d[at] = (fd_real)(1 / s.h);   /* C applied to a point mass is k(., y) */
            fd_cov_pow(c, 1, 1, d, d, m);
            fd_cov_std(c, sd, m);
            double dk = 0, ds = 0;
            for (ptrdiff_t i = 0; i < s.points; i++) {
                double k = var, v = var;
                split(&s, i, p);
                for (int e = 0; e < nd; e++) {
                    double x = point(bc[e], n[e], L[e], p[e]), y = point(bc[e], n[e], L[e], q[e]);
                    k *= images(bc[e], L[e], l, x, y);
                    v *= images(bc[e], L[e], l, x, x);
                }
                dk = fmax(dk, fabs(k - (double)d[i]));
                ds = fmax(ds, fabs(v - pow((double)sd[i], 2)));
            }
            NEAR(dk, 0, TOL(2e-9, 2e-5), "%d axes, bc %d: kernel", nd, code);
            NEAR(ds, 0, TOL(2e-9, 1e-6), "%d axes, bc %d: variance", nd, code);
        }
    /* min(x,y) and min(x,y) - xy/L up to the tail of the sum, here sum_{k>n} 2 L/(pi k)^2 */
    int n = 400;
    double len = 1.5;
    for (int bc = FD_DIRICHLET; bc <= FD_MIXED; bc++) {
        fd_space s = fd_grid(&a, 1, &n, &len, &bc, 1);
        fd_cov *c = bc == FD_MIXED ? fd_cov_brownian(&a, &s, 2) : fd_cov_bridge(&a, &s, 2);
        fd_real *sd = fd_new(&a, fd_real, n);
        double worst = 0;
        fd_cov_std(c, sd, a);
        for (int i = 0; i < n; i++) {
            double x = fd_coord(&s, 0, i), want = 2 * (bc == FD_MIXED ? x : x - x * x / len);
            worst = fmax(worst, fabs(pow((double)sd[i], 2) - want));
        }
        NEAR(worst, 0, 2 * 2 * len / (pi * pi * n) * 1.01, "variance of the %s",
             bc == FD_MIXED ? "motion" : "bridge");
    }
    /* sheets: the kernel is a product, var counts once */
    fd_space s = fd_grid(&a, 2, (int[]){ 60, 50 }, NULL, (int[]){ FD_MIXED, FD_MIXED }, 1);
    fd_real *sd = fd_new(&a, fd_real, s.points);
    fd_cov_std(fd_cov_brownian(&a, &s, 3), sd, a);
    NEAR(pow((double)sd[30 * 50 + 20], 2), 3 * (30.5 / 60) * (20.5 / 50), .03, "Brownian sheet");
}

static void powers(fd_arena a)
{
    static const double pq[][2] = { { .5, .5 }, { -1, 1 }, { -.5, 1.5 }, { .3, -1.3 }, { 0, 0 },
                                   { 0, -.5 } };
    static const int n[3] = { 7, 8, 3 };
    for (int nd = 1; nd <= 3; nd++)
        for (int bc = 0; bc < 4; bc++) {
            fd_arena m = a;
            fd_space s = fd_grid(&m, nd, n, NULL, (int[]){ bc, 3 - bc, bc }, 2);
            const int b = 3;
            ptrdiff_t N = b * fd_size(&s);
            fd_cov *c = fd_cov_matern(&m, &s, 1.1, .4, 1.5);
            fd_real *x = fd_raw(&m, fd_real, N), *y = fd_raw(&m, fd_real, N);
            fd_real *z = fd_raw(&m, fd_real, N);
            fd_cov_draw(c, fd_seed(7), 0, b, x, m);         /* in the range: no Nyquist modes */
            for (size_t r = 0; r < sizeof pq / sizeof pq[0]; r++) {
                memcpy(y, x, (size_t)N * sizeof *x);
                fd_cov_pow(c, pq[r][0], b, y, y, m);
                fd_cov_pow(c, pq[r][1], b, y, y, m);
                fd_cov_pow(c, pq[r][0] + pq[r][1], b, x, z, m);
                NEAR(test_rel(N, y, z), 0, TOL(2e-12, 2e-3), "%d axes, bc %d: C^%g C^%g", nd, bc,
                     pq[r][0], pq[r][1]);
            }
            fd_cov_pow(c, 0, b, x, y, m);
            NEAR(test_rel(N, y, x), 0, TOL(1e-14, 2e-6), "C^0");
            /* <x, C^-1 x> = |C^-1/2 x|^2, over both channels */
            fd_cov_pow(c, -.5, b, x, y, m);
            double v = fd_inner(&s, y, y);
            NEAR(fd_cov_norm2(c, x, m), v, TOL(1e-11, 1e-3) * v, "%d axes, bc %d: norm", nd, bc);
        }
    /* C^1/2 by its definition, one axis */
    fd_space s = fd_grid(&a, 1, (int[]){ 9 }, (double[]){ 2.385 }, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_exp(&a, &s, 1, .5);
    fd_real *x = noise(&a, 9, 5), y[9];
    fd_cov_pow(c, .5, 1, x, y, a);
    for (int i = 0; i < 9; i++) {
        double sum = 0;
        for (int k = 0; k < 9; k++)
            for (int p = 0; p < 9; p++)
                sum += s.h * sqrt(c->lam[k]) * mode(1, 9, 2.385, k, point(1, 9, 2.385, i))
                     * mode(1, 9, 2.385, k, point(1, 9, 2.385, p)) * (double)x[p];
        NEAR((double)y[i], sum, TOL(1e-14, 2e-6), "C^1/2 at %d", i);
    }
}

static double expkernel(const double *x, const double *y, const void *prm)
{
    return exp(-fabs(x[0] - y[0]) / *(const double *)prm);
}

static void cameron_martin(fd_arena a)
{
    double v[3];
    /* Brownian motion: int h'^2, h = x^2 -> 4/3; the bridge: h = x (1 - x) -> 1/3. The rest of the
     * sum falls as 1/n; extrapolated to n = infinity. */
    for (int kind = 0; kind < 2; kind++) {
        for (int i = 0; i < 2; i++) {
            fd_arena m = a;
            int n = 256 << i, bc = kind ? FD_DIRICHLET : FD_MIXED;
            fd_space s = fd_grid(&m, 1, &n, NULL, &bc, 1);
            fd_cov *c = kind ? fd_cov_bridge(&m, &s, 1) : fd_cov_brownian(&m, &s, 1);
            fd_real *h = fd_new(&m, fd_real, n);
            for (int k = 0; k < n; k++) {
                double x = fd_coord(&s, 0, k);
                h[k] = (fd_real)(kind ? x * (1 - x) : x * x);
            }
            v[i] = fd_cov_norm2(c, h, m);
        }
        double want = kind ? 1. / 3 : 4. / 3;
        NEAR(v[1], want, .01, "%s", kind ? "bridge" : "motion");
        NEAR(2 * v[1] - v[0], want, TOL(1e-4, 1e-3), "%s, extrapolated",
             kind ? "bridge" : "motion");
    }
    /* exp(-|x-y|/l) on the interval, h = sin 3x + x^2: (h(0)^2 + h(1)^2)/2 + (l/2) int h'^2
     * + 1/(2l) int h^2. Midpoints miss h/2 at each end; three grids remove terms in h, h^2. */
    const double l = .1;
    for (int i = 0; i < 3; i++) {
        fd_arena m = a;
        int n = 40 << i, bc = FD_NEUMANN;
        fd_space s = fd_grid(&m, 1, &n, NULL, &bc, 1);
        fd_cov *c = fd_cov_kernel(&m, &s, expkernel, &l);
        fd_real *h = fd_new(&m, fd_real, n);
        for (int k = 0; k < n; k++) {
            double x = fd_coord(&s, 0, k);
            h[k] = (fd_real)(sin(3 * x) + x * x);
        }
        v[i] = fd_cov_norm2(c, h, m);
    }
    NEAR((8 * v[2] - 6 * v[1] + v[0]) / 3, 6.58375, TOL(2e-4, 2e-2), "exponential kernel");
    /* torus: (l/2) int h'^2 + 1/(2l) int h^2 for exp; one mode at a time for the others */
    fd_space s = fd_grid(&a, 1, (int[]){ 24 }, NULL, NULL, 1);
    fd_real h[24];
    for (int k = 0; k < 24; k++)
        h[k] = (fd_real)(1 + sin(2 * pi * k / 24) - .5 * cos(2 * pi * 3 * k / 24));
    double d2 = .5 * pow(2 * pi, 2) * (1 + .25 * 9), h2 = 1 + .5 + .125;
    double want = l / 2 * d2 + h2 / (2 * l);
    NEAR(fd_cov_norm2(fd_cov_exp(&a, &s, 1, l), h, a), want, TOL(1e-12, 1e-4) * want,
         "exponential on the circle");
    want = (pow(9, 1.1) + .5 * pow(4 * pi * pi + 9, 1.1) + .125 * pow(36 * pi * pi + 9, 1.1)) / 11;
    NEAR(fd_cov_norm2(fd_cov_power(&a, &s, 11, 3, 1.1), h, a), want, TOL(1e-12, 1e-4) * want,
         "Whittle");
    /* draws have |x|^2_C chi-square with as many degrees as modes */
    fd_space t = fd_grid(&a, 1, (int[]){ 101 }, NULL, (int[]){ FD_DIRICHLET }, 2);
    fd_cov *c = fd_cov_matern(&a, &t, 1, .3, 1.5);
    fd_real *x = fd_raw(&a, fd_real, 50 * 202);
    double sum = 0;
    fd_cov_draw(c, fd_seed(3), 0, 50, x, a);
    for (int i = 0; i < 50; i++) sum += fd_cov_norm2(c, x + i * 202, a);
    NEAR(sum / 50, 202, 6 * sqrt(2 * 202 / 50.), "chi-square");
}

/* exp(-|x-y|/l) on (0,1): eigenvalues 2 l/(1 + l^2 w^2); in turn l w tan(w/2) = 1,
 * l w + tan(w/2) = 0 */
static void eigenpairs(fd_arena a)
{
    static const double want[5] = { .187083, .156046, .121154, .091324, .068736 };
    const double l = .1;
    int n = 200, bc = FD_NEUMANN;
    fd_space s = fd_grid(&a, 1, &n, NULL, &bc, 2);
    fd_cov *c = fd_cov_kernel(&a, &s, expkernel, &l);
    OK(c && !c->s.nd && c->s.points == 200 && c->s.modes == 200 && c->s.ch == 2, "a dense space");
    if (!c) return;
    for (int k = 0; k < 5; k++) {
        double lo = k * pi + 1e-9, hi = (k + 1) * pi - 1e-9, w = 0, ds = 0;
        for (int it = 0; it < 200; it++) {   /* theta = w/2 in (k pi/2, (k+1) pi/2) */
            w = .5 * (lo + hi);
            double f = k % 2 ? l * w * cos(w / 2) + sin(w / 2) : l * w * sin(w / 2) - cos(w / 2);
            int up = k % 4 == 0 || k % 4 == 3;              /* is f < 0 at the left end? */
            if ((f < 0) == up) lo = w;
            else hi = w;
        }
        NEAR(2 * l / (1 + l * l * w * w), want[k], 1e-6, "published eigenvalue %d", k);
        /* each sum is off by h^2/12 times the jump 2/l of the kernel's slope */
        NEAR(c->lam[k], 2 * l / (1 + l * l * w * w) + s.h * s.h / (6 * l), 5e-6, "eigenvalue %d",
             k);
        double norm = sqrt(.5 * (1 + (k % 2 ? -1 : 1) * sin(w) / w)), sign = 0;
        for (int i = 0; i < n; i++) {
            double x = fd_coord(&s, 0, i) - .5, e = (k % 2 ? sin(w * x) : cos(w * x)) / norm;
            double got = (double)c->s.basis[k * n + i];
            if (sign == 0) sign = got * e > 0 ? 1 : -1;
            ds = fmax(ds, fabs(got - sign * e));
        }
        NEAR(ds, 0, 1e-3, "eigenfunction %d", k);
    }
    NEAR(fd_cov_trace(c), 1, 1e-12, "trace");
    fd_real *sd = fd_raw(&a, fd_real, 200), *d = fd_new(&a, fd_real, 400);
    fd_real *y = fd_new(&a, fd_real, 400);
    fd_cov_std(c, sd, a);
    for (int i = 0; i < 200; i += 13) NEAR((double)sd[i], 1, TOL(1e-12, 1e-5), "std at %d", i);
    d[31] = d[231] = (fd_real)(1 / s.h);
    fd_cov_pow(c, 1, 1, d, y, a);
    for (int i = 0; i < 400; i += 7)
        NEAR((double)y[i], exp(-fabs(i % 200 - 31.) / 200 / l), TOL(1e-12, 2e-5), "kernel at %d",
             i);
    fd_cov_pow(c, .5, 1, d, d, a);
    fd_cov_pow(c, .5, 1, d, d, a);
    NEAR(test_rel(400, d, y), 0, TOL(1e-12, 2e-5), "two roots");
}

/* ---- Draws ----------------------------------------------------------------------------------- */

/* the same function on two grids: modes, and after resampling values */
static void two_grids(fd_arena a)
{
    static const struct { int nd, n[3], m[3]; } row[] = {
        { 1, { 16 }, { 32 } }, { 1, { 15 }, { 30 } }, { 1, { 12 }, { 17 } }, { 1, { 1 }, { 2 } },
        { 1, { 200 }, { 400 } },
        { 2, { 6, 8 }, { 12, 16 } }, { 2, { 5, 7 }, { 10, 9 } }, { 3, { 3, 4, 5 }, { 6, 8, 10 } },
    };
    const double len[3] = { 2.385, .7, 1.3 };
    const int ch = 2, b = 2;
    for (size_t r = 0; r < sizeof row / sizeof row[0]; r++)
        for (int bc = 0; bc < 4; bc++)
            for (int f = 0; f < FAMILIES; f++) {
                if (!allowed(f, bc)) continue;
                fd_arena mem = a;
                int other = f >= BRIDGE ? bc : (bc + 1) % 4, B[3] = { bc, other, bc }, bad = 0;
                fd_space s = fd_grid(&mem, row[r].nd, row[r].n, len, B, ch);
                fd_space t = fd_grid(&mem, row[r].nd, row[r].m, len, B, ch);
                fd_cov *c = family(&mem, &s, f), *d = fd_cov_on(&mem, c, &t);
                fd_cov *e = family(&mem, &t, f);
                ptrdiff_t ns = s.modes, nt = t.modes;
                fd_real *u = fd_raw(&mem, fd_real, b * ch * ns);
                fd_real *w = fd_raw(&mem, fd_real, b * ch * nt);
                fd_real *x = fd_raw(&mem, fd_real, b * ch * ns);
                fd_real *y = fd_raw(&mem, fd_real, b * ch * nt);
                if (!y) { OK(0, "setup"); return; }
                OK(!memcmp(d->lam, e->lam, (size_t)nt * sizeof(double)) && d->kind == e->kind,
                   "%s, %s: fd_cov_on", fname[f], bname[bc]);
                fd_cov_draw_modes(c, fd_seed(9), 5, b, u);
                fd_cov_draw_modes(d, fd_seed(9), 5, b, w);
                for (ptrdiff_t q = 0; q < b * ch; q++)
                    for (ptrdiff_t k = 0; k < ns; k++) {
                        int j[3];
                        split(&s, k, j);
                        ptrdiff_t kt = ((ptrdiff_t)j[0] * t.n[1] + j[1]) * t.n[2] + j[2];
                        if (s.nd == 1) kt = j[0];
                        if (s.nd == 2) kt = (ptrdiff_t)j[0] * t.n[1] + j[1];
                        if (is_nyquist(&s, k)) bad += u[q * ns + k] != 0;
                        else if (!is_nyquist(&t, kt)) bad += u[q * ns + k] != w[q * nt + kt];
                    }
                OK(bad == 0, "%s, %s, row %zu: %d modes differ", fname[f], bname[bc], r, bad);
                fd_cov_draw(c, fd_seed(9), 5, b, x, mem);
                fd_cov_draw(d, fd_seed(9), 5, b, y, mem);
                fd_resample(&t, &s, b, y, w, mem);          /* the finer one, cut to the coarser */
                if (c->lam[0] == 0 && ns == 1) continue;
                NEAR(test_rel(b * ch * ns, w, x), 0, TOL(1e-12, 5e-5), "%s, %s, row %zu: functions",
                     fname[f], bname[bc], r);
            }
}

/* the counters that fd.h promises */
static void counters(fd_arena a)
{
    const int n[3] = { 3, 4, 41 }, ch = 2;
    for (int nd = 1; nd <= 3; nd++)
        for (int bc = 0; bc < 4; bc++) {
            fd_arena m = a;
            fd_space s = fd_grid(&m, nd, n + 3 - nd, NULL, (int[]){ bc, bc, bc }, ch);
            fd_cov *c = fd_cov_white(&m, &s, 4, 0);
            fd_real *u = fd_raw(&m, fd_real, 2 * ch * s.modes);
            int bad = 0;
            fd_cov_draw_modes(c, fd_seed(11), 3, 2, u);
            for (int i = 0; i < 2; i++)
                for (int q = 0; q < ch; q++)
                    for (ptrdiff_t k = 0; k < s.modes; k++) {
                        int j[3];
                        float z[4];
                        split(&s, k, j);
                        int last = j[nd - 1], one = nd > 1 ? j[nd - 2] : 0, two = nd > 2 ? j[0] : 0;
                        uint32_t ctr[4] = { (uint32_t)(last / 32 * 8 + last % 16 / 2),
                                            (uint32_t)one,
                                            (uint32_t)two, (uint32_t)q };
                        fd_normal4(fd_stream(fd_seed(11), 'f', (uint32_t)(3 + i)), ctr, z);
                        fd_real want = is_nyquist(&s, k)
                                           ? 0
                                           : 2 * (fd_real)z[last / 16 % 2 * 2 + last % 2];
                        bad += u[(i * ch + q) * s.modes + k] != want;
                    }
            OK(bad == 0, "%d axes, %s: %d", nd, bname[bc], bad);
        }
}

static void batches(fd_arena a)
{
    for (int kind = 0; kind < 3; kind++) {
        fd_arena m = a;
        const double l = .2;
        int nd = kind == 1 ? 2 : 1;
        fd_space s = fd_grid(&m, nd, (int[]){ nd == 2 ? 23 : 41, 32 }, NULL, (int[]){ kind, 0 }, 2);
        fd_cov *c = kind == 2 ? fd_cov_kernel(&m, &s, expkernel, &l) : fd_cov_exp(&m, &s, 1, l);
        if (!c) { OK(0, "setup"); return; }
        ptrdiff_t one = c->s.ch * c->s.modes, N = 60 * one;
        fd_real *u = fd_raw(&m, fd_real, N), *v = fd_raw(&m, fd_real, N);
        fd_real *x = fd_raw(&m, fd_real, N), *y = fd_raw(&m, fd_real, N);
        fd_cov_draw_modes(c, fd_seed(1), 100, 60, u);
        fd_cov_draw(c, fd_seed(1), 100, 60, x, m);
        for (int i = 0, step = 1; i < 60; i += step, step = step % 7 + 1) {
            if (i + step > 60) step = 60 - i;
            fd_cov_draw_modes(c, fd_seed(1), 100 + i, step, v + i * one);
            fd_cov_draw(c, fd_seed(1), 100 + i, step, y + i * one, m);
        }
        OK(!memcmp(u, v, (size_t)N * sizeof *u), "kind %d: modes of any batch", kind);
        OK(!memcmp(x, y, (size_t)N * sizeof *x), "kind %d: functions of any batch", kind);
        fd_cov_pow(c, .5, 60, x, u, m);
        for (int i = 0; i < 60; i += 20) fd_cov_pow(c, .5, 20, x + i * one, v + i * one, m);
        OK(!memcmp(u, v, (size_t)N * sizeof *u), "kind %d: powers of any batch", kind);
        OK(test_maxdiff(c->s.modes, x, x + c->s.modes) > .1, "kind %d: channels differ", kind);
        fd_cov_draw(c, fd_seed(2), 100, 1, y, m);
        OK(test_maxdiff(one, x, y) > .1, "kind %d: seeds differ", kind);
    }
}

/* largest |z| of k standard normals, one in 1e6; and their sum of squares, by Wilson & Hilferty */
static void accept_z(int k, double worst, double sum2, const char *what)
{
    NEAR(worst, 0, sqrt(2 * log(2 * k / 1e-6)), "%s: largest of %d", what, k);
    double t = 2. / (9. * k);
    NEAR((cbrt(sum2 / k) - (1 - t)) / sqrt(t), 0, 5, "%s: chi-square of %d", what, k);
}

static void statistics(fd_arena a)
{
    enum { M = 6000, N = 11 };
    for (int bc = 0; bc < 4; bc++) {
        fd_arena m = a;
        int n = N;
        fd_space s = fd_grid(&m, 1, &n, NULL, &bc, 1);
        fd_cov *c = fd_cov_matern(&m, &s, 1.3, .3, 1.5);
        fd_real *x = fd_raw(&m, fd_real, M * N), *u = fd_raw(&m, fd_real, M * N);
        fd_cov_draw(c, fd_seed(77), 0, M, x, m);
        fd_to_modes(&s, M, x, u, m);
        double worst = 0, sum2 = 0;
        int count = 0;
        for (int j = 0; j < N; j++) {
            double mean = 0;
            for (int i = 0; i < M; i++) mean += (double)u[i * N + j] / sqrt(c->lam[j]);
            double z = mean / sqrt(M);
            worst = fmax(worst, fabs(z)), sum2 += z * z, count++;
            for (int k = 0; k <= j; k++) {   /* u_j u_k: variance 1, or 2 where j = k */
                double v = 0;
                for (int i = 0; i < M; i++) v += (double)u[i * N + j] * (double)u[i * N + k];
                v /= sqrt(c->lam[j] * c->lam[k]);
                z = (v - (j == k ? M : 0)) / sqrt(j == k ? 2. * M : M);
                worst = fmax(worst, fabs(z)), sum2 += z * z, count++;
            }
        }
        accept_z(count, worst, sum2, bname[bc]);
        worst = 0;   /* values: E x_i x_j is the kernel of the grid */
        for (int i = 0; i < N; i++)
            for (int j = 0; j <= i; j++) {
                double k[3] = { 0 }, v = 0;
                for (int q = 0; q < N; q++) {
                    double e = mode(bc, N, 1, q, point(bc, N, 1, i));
                    double f = mode(bc, N, 1, q, point(bc, N, 1, j));
                    k[0] += c->lam[q] * e * f, k[1] += c->lam[q] * e * e, k[2] += c->lam[q] * f * f;
                }
                for (int p = 0; p < M; p++) v += (double)x[p * N + i] * (double)x[p * N + j] / M;
                worst = fmax(worst, fabs(v - k[0]) / sqrt((k[1] * k[2] + k[0] * k[0]) / M));
            }
        NEAR(worst, 0, sqrt(2 * log(2 * 66 / 1e-6)), "%s: covariance of values", bname[bc]);
    }
    /* white noise is not a law on function space: its variance is sigma^2 per point weight */
    double v[2];
    for (int i = 0; i < 2; i++) {
        fd_space s = fd_grid(&a, 2, (int[]){ 17 << i, 15 << i }, NULL, NULL, 1);
        fd_cov *w = fd_cov_white(&a, &s, .5, 0), *band = fd_cov_white(&a, &s, .5, 3);
        fd_real *x = fd_raw(&a, fd_real, 20 * s.points), sd = 0;
        fd_cov_draw(w, fd_seed(4), 0, 20, x, a);
        v[i] = 0;
        for (ptrdiff_t k = 0; k < 20 * s.points; k++)
            v[i] += (double)x[k] * (double)x[k] / (20. * (double)s.points);
        double modes = (17 << i) * (15 << i) - (i ? 34 + 30 - 1 : 0);      /* without Nyquist */
        NEAR(fd_cov_trace(w), .5 * modes, 1e-9, "trace of white noise");
        NEAR(v[i] / (.5 * modes), 1, .1, "variance of white noise");
        fd_real *all = fd_raw(&a, fd_real, s.points);
        fd_cov_std(band, all, a);
        sd = all[3];
        NEAR((double)sd, sqrt(.5 * 49), TOL(1e-12, 1e-5), "band-limited: 7 x 7 modes on any grid");
    }
    NEAR(v[1] / v[0], (34. * 30 - 63) / 255, .3, "white noise grows with the grid");
}

/* ---- Covariances of data --------------------------------------------------------------------- */

/* all shifts of one function: cos and sin carry the same, and nothing is left to average */
static void shifts(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ 9 }, NULL, NULL, 1);
    fd_real *x = noise(&a, 9, 21), *y = fd_raw(&a, fd_real, 81), u[9];
    for (int i = 0; i < 81; i++) y[i] = x[(i % 9 + i / 9) % 9];
    fd_to_modes(&s, 1, x, u, a);
    fd_cov *c = fd_cov_empirical(&a, &s, 9, y, 0, NULL);
    if (!c) { OK(0, "setup"); return; }
    NEAR(c->lam[0], 0, TOL(1e-30, 1e-12), "the constant mode is the mean");
    for (int k = 1; k < 9; k += 2) {
        double e = .5 * ((double)u[k] * (double)u[k] + (double)u[k + 1] * (double)u[k + 1]);
        NEAR(c->lam[k], e, TOL(1e-14, 1e-6), "shifted data, cos");
        NEAR(c->lam[k + 1], e, TOL(1e-14, 1e-6), "shifted data, sin");
    }
}

/* many draws of a known law */
static void law_of_draws(fd_arena a)
{
    fd_space t = fd_grid(&a, 1, (int[]){ 24 }, NULL, NULL, 2);
    fd_cov *truth = fd_cov_matern(&a, &t, 1.3, .2, 1.5);
    fd_real *draws = fd_raw(&a, fd_real, 2000 * 48);
    fd_cov_draw(truth, fd_seed(31), 0, 2000, draws, a);
    fd_cov *got = fd_cov_empirical(&a, &t, 2000, draws, 0, NULL);
    for (int k = 0; k < 23 && got; k++) {
        double count = 2 * 2000 * (k ? 2 : 1);
        NEAR(got->lam[k] / truth->lam[k], 1, 5.5 * sqrt(2 / count), "law of draws, mode %d", k);
    }
}

static void empirical(fd_arena a)
{
    static const int n[2] = { 4, 5 };
    static const double len[2] = { 2.385, 1 };
    enum { M = 19, CH = 2, P = 20 };
    for (int code = 0; code < 16; code++) {
        fd_arena m = a;
        int bc[2] = { code & 3, code >> 2 };
        fd_space s = fd_grid(&m, 2, n, len, bc, CH);
        fd_real *x = noise(&m, M * CH * P, 17), mean[CH * P];
        for (int k = 0; k < M * CH * P; k++) x[k] += (fd_real)(2 + k % (CH * P) * .1);
        fd_cov *c = fd_cov_empirical(&m, &s, M, x, .8, mean);
        fd_cov *d = fd_cov_empirical(&m, &s, M, x, 0, NULL);
        double raw[P] = { 0 }, want[P], top = 0;
        fd_cov *by = NULL;
        if (!c || !d) { OK(0, "setup"); return; }
        for (int q = 0; q < CH; q++)
            for (int k = 0; k < P; k++) {
                int j[3], p[3];
                double u[M], mid = 0;
                split(&s, k, j);
                for (int i = 0; i < M; i++) {
                    u[i] = 0;
                    for (int t = 0; t < P; t++) {
                        split(&s, t, p);
                        u[i] += s.h * (double)x[(i * CH + q) * P + t] * mode_at(&s, j, &s, p);
                    }
                    mid += u[i] / M;
                }
                for (int i = 0; i < M; i++) raw[k] += (u[i] - mid) * (u[i] - mid) / (M * CH);
                double e = 0;
                for (int i = 0; i < M; i++) e += (double)x[(i * CH + q) * P + k] / M;
                NEAR((double)mean[q * P + k], e, TOL(1e-14, 1e-6), "mean");
            }
        by = fd_cov_spectrum(&m, &s, raw, .8);
        for (int k = 0; k < P; k++) {   /* over all modes of the same wavenumbers */
            int j[3], i[3], count = 0;
            split(&s, k, j);
            want[k] = 0;
            for (int q = 0; q < P; q++) {
                split(&s, q, i);
                if (wave(bc[0], 1, i[0]) == wave(bc[0], 1, j[0])
                    && wave(bc[1], 1, i[1]) == wave(bc[1], 1, j[1]))
                    want[k] += raw[q], count++;
            }
            want[k] = is_nyquist(&s, k) ? 0 : want[k] / count;
            top = fmax(top, want[k]);
        }
        for (int k = 0; k < P; k++) {
            NEAR(d->lam[k], want[k], TOL(1e-13, 1e-5) * top, "bc %d: mode %d", code, k);
            if (!is_nyquist(&s, k)) want[k] = fmax(want[k], .8 * top);
            NEAR(c->lam[k], want[k], TOL(1e-13, 1e-5) * top, "bc %d: mode %d, with a floor", code,
                 k);
            NEAR(by ? by->lam[k] : NAN, want[k], 1e-14 * top, "bc %d: mode %d, of variances", code,
                 k);
        }
        OK(c->kind == FD_COV_TABLE && c->s.ch == CH, "kind");
    }
    shifts(a);
    law_of_draws(a);
}

/* Many functions of many points, by threads: the variances of all modes sum to that of the data,
 * and the same modes come from one function in front of each. */
static void many_components(fd_arena a)
{
    enum { N = 110 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_real *x = normals(&a, 33, N * N), *mean = fd_raw(&a, fd_real, N);
    if (!mean) { OK(0, "memory"); return; }
    const int most = test_most_threads();
    double lam[2] = { 0, 0 }, all = 0;
    for (int threads = 1; threads <= 3; threads += 2) {
        fd_arena m = a;
        test_use_threads(threads);
        fd_cov *c = fd_cov_pca(&m, &s, N, x, N - 1, mean);
        test_use_threads(most);
        if (!c) { OK(0, "%s", explain(m.st)); return; }
        for (int k = 0; k < N - 1; k++) lam[threads / 2] += c->lam[k];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const double d = (double)x[i * N + j] - (double)mean[j];
            all += d * d / N * s.h;
        }
    NEAR(lam[0] / all, 1, 20 * EPS, "variance of the data");
    NEAR(lam[1], lam[0], 0, "on three threads");
}

/* Axes of more modes than are done at a time: at the points of a grid the modes times coefficients
 * are the function. */
static void modes_at_many(fd_arena a)
{
    static const struct { int nd, n[3]; } rows[] = { { 1, { 300 } }, { 2, { 3, 150 } },
        { 2, { 150, 3 } }, { 3, { 2, 131, 3 } }, { 3, { 2, 3, 140 } } };
    const int bc[3] = { FD_NEUMANN, FD_DIRICHLET, FD_MIXED };
    for (int r = 0; r < 5; r++) {
        fd_arena b = a;
        fd_space s = fd_grid(&b, rows[r].nd, rows[r].n, NULL, bc, 1);
        fd_real *u = normals(&b, 5, s.modes), *x = fd_raw(&b, fd_real, s.points);
        fd_real *E = fd_raw(&b, fd_real, 2 * s.modes);
        if (!E) { OK(0, "memory"); return; }
        fd_from_modes(&s, 1, u, x, b);
        const ptrdiff_t k[2] = { s.points / 3, s.points - 1 };
        double at[6];
        for (int i = 0; i < 2; i++) {
            ptrdiff_t left = k[i];
            for (int d = s.nd; d--; left /= s.n[d]) {
                const double j = (double)(left % s.n[d]);
                at[i * s.nd + d] = bc[d] == FD_DIRICHLET ? (j + 1) / (s.n[d] + 1)
                                                         : (j + .5) / s.n[d];
            }
        }
        fd_modes_at(&s, 2, at, NULL, E);
        for (int i = 0; i < 2; i++) {
            double sum = 0;
            for (ptrdiff_t j = 0; j < s.modes; j++)
                sum += (double)E[i * s.modes + j] * (double)u[j];
            NEAR(sum, (double)x[k[i]], TOL(1e-11, 1e-3), "row %d, point %d", r, i);
        }
    }
    /* a dense space with a mode that carries nothing */
    const fd_real basis[6] = { 1, 1, 1, (fd_real)1.2247448713915890, 0,
                               (fd_real)-1.2247448713915890 };
    const fd_real third[3] = { (fd_real)(1. / 3), (fd_real)(1. / 3), (fd_real)(1. / 3) };
    const fd_real two[3] = { 2, 2, 2 };
    const fd_space d = fd_dense(NULL, 3, 2, basis, third, 1);
    const fd_cov *c = fd_cov_table(&a, &d, (double[]){ 4, 0 });
    NEAR(fd_cov_norm2(c, two, a), 1, 20 * EPS, "norm");
    static char mem[1 << 12];
    const fd_space few = fd_grid(&a, 1, (int[]){ 4 }, NULL, NULL, 1);
    const fd_cov *table = fd_cov_table(&a, &few, (double[]){ 1, 2, 2, 0 });
    for (size_t size = 0; size < sizeof mem; size += 64) {
        fd_status st;
        fd_arena small = fd_arena_over(mem, size, &st);
        const double norm = fd_cov_norm2(c, two, small);
        OK(st.code ? st.code == FD_ENOMEM && !(norm > 0) : norm > 0, "norm, %d bytes", (int)size);
        small = fd_arena_over(mem, size, &st);
        const fd_cov *on = fd_cov_on(&small, table, &few);
        OK(on ? !st.code && on->lam[1] == 2 : st.code == FD_ENOMEM, "a copy, %d bytes", (int)size);
    }
}

static void tables(fd_arena a)
{
    fd_space s = fd_grid(&a, 2, (int[]){ 4, 3 }, NULL, NULL, 1);
    fd_space t = fd_grid(&a, 2, (int[]){ 5, 6 }, NULL, NULL, 2);
    double lam[12];
    for (int k = 0; k < 12; k++) lam[k] = 1 + k;
    fd_cov *c = fd_cov_table(&a, &s, lam), *d = fd_cov_on(&a, c, &t);
    if (!d) { OK(0, "setup"); return; }
    OK(c->lam != lam && c->kind == FD_COV_TABLE && d->s.ch == 2, "copied");
    for (int k = 0; k < 12; k++) NEAR(c->lam[k], k < 9 ? 1 + k : 0, 0, "table, mode %d", k);
    for (int k = 0; k < 30; k++) {
        int i = k / 6, j = k % 6;
        NEAR(d->lam[k], i < 3 && j < 3 ? 1 + 3 * i + j : 0, 0, "table on another grid, mode %d", k);
    }
}

/* all vectors of a basis are orthonormal */
static void orthonormal(int kind, const fd_space *s, double h)
{
    const int n = (int)s->points;
    double worst = 0;
    for (int j = 0; j < s->modes; j++)
        for (int k = 0; k <= j; k++) {
            double dot = 0;
            for (int p = 0; p < n; p++)
                dot += h * (double)s->basis[j * n + p] * (double)s->basis[k * n + p];
            worst = fmax(worst, fabs(dot - (j == k)));
        }
    NEAR(worst, 0, TOL(1e-12, 1e-6), "kind %d: orthonormal", kind);
}

/* weights: the Legendre functions of unequal weights, two of them */
static void principal_weighted(fd_arena a)
{
    fd_real basis[4] = { 1, 1, 1, -1 }, weight[2] = { (fd_real).2, (fd_real).8 }, x[8], mean[2];
    for (int i = 0; i < 4; i++) {   /* f = (1, 1) and (2, -1/2), orthonormal */
        double g = i % 2 ? 1 : -1, k = i / 2 ? 1 : -1;
        x[2 * i] = (fd_real)(3 * g * 2 + k), x[2 * i + 1] = (fd_real)(-3 * g / 2 + k);
    }
    fd_space s = fd_dense(NULL, 2, 2, basis, weight, 1);
    fd_cov *c = fd_cov_pca(&a, &s, 4, x, 2, mean);
    if (!c) { OK(0, "setup"); return; }
    NEAR(c->lam[0], 9, TOL(1e-13, 1e-5), "weighted, first");
    NEAR(c->lam[1], 1, TOL(1e-13, 1e-5), "weighted, second");
    NEAR((double)c->s.basis[0] / (double)c->s.basis[1], -4, TOL(1e-13, 1e-5),
         "weighted, first vector");
    NEAR(fabs((double)c->s.basis[2]), 1, TOL(1e-13, 1e-5), "weighted, second vector");
    NEAR((double)mean[0], 0, TOL(1e-13, 1e-5), "weighted, mean");
    NEAR(fd_inner(&c->s, c->s.basis, c->s.basis), 1, TOL(1e-13, 1e-5), "weighted, norm");
    NEAR(fd_inner(&c->s, c->s.basis, c->s.basis + 2), 0, TOL(1e-13, 1e-5), "weighted, orthogonal");
    OK(fd_cov_pca(&a, &s, 4, x, 1, NULL)->s.modes == 1, "as many modes as asked for");
}

/* data with an exactly known sample covariance: coefficients of orthogonal columns */
static void principal(fd_arena a)
{
    enum { M = 16 };
    static const double sd[3] = { 2.385, 1, .01 };
    for (int kind = 0; kind < 4; kind++) {   /* fewer points or fewer functions; channels */
        fd_arena m = a;
        int n = kind & 1 ? 10 : 60, ch = kind & 2 ? 2 : 1, bc = FD_NEUMANN;
        double L = 1.7;
        fd_space s = fd_grid(&m, 1, &n, &L, &bc, ch);
        fd_real *x = fd_new(&m, fd_real, M * ch * n), *mean = fd_new(&m, fd_real, ch * n);
        for (int i = 0; i < M; i++)
            for (int q = 0; q < ch; q++)
                for (int p = 0; p < n; p++) {
                    double v = 3 + q + .1 * p;
                    for (int k = 0; k < 3; k++) {  /* sqrt 2 cos(..): mean 0, variance 1 */
                        double g = sqrt(2) * cos(2 * pi * (k + 1) * i / M + q * pi / 2);
                        v += sd[k] * g * mode(bc, n, L, k + 1, point(bc, n, L, p));
                    }
                    x[(i * ch + q) * n + p] = (fd_real)v;
                }
        fd_cov *c = fd_cov_pca(&m, &s, M, x, 8, mean);
        if (!c) { OK(0, "kind %d: setup", kind); continue; }
        OK(c->kind == FD_COV_DENSE && !c->s.nd && c->s.points == n && c->s.ch == ch,
           "kind %d: dense", kind);
        OK(c->s.modes >= 3 && (EPS > 1e-10 || c->s.modes == 3), "kind %d: %td modes", kind,
           c->s.modes);
        for (int k = 0; k < 3; k++) {
            double dist[2] = { 0 };
            NEAR(c->lam[k], sd[k] * sd[k], TOL(1e-12, 2e-5) * (k == 2 ? .1 : 1),
                 "kind %d: eigenvalue %d", kind, k);
            for (int p = 0; p < n; p++) {
                double e = mode(bc, n, L, k + 1, point(bc, n, L, p));
                double v = (double)c->s.basis[k * n + p];
                dist[0] = fmax(dist[0], fabs(v - e)), dist[1] = fmax(dist[1], fabs(v + e));
            }
            NEAR(fmin(dist[0], dist[1]), 0, TOL(1e-9, 2e-3), "kind %d: eigenvector %d", kind, k);
        }
        for (int p = 0; p < ch * n; p++)
            NEAR((double)mean[p], 3 + p / n + .1 * (p % n), TOL(1e-13, 1e-5), "kind %d: mean",
                 kind);
        orthonormal(kind, &c->s, s.h);
        /* in the span: whitened; out of it: refused */
        fd_real *y = fd_new(&m, fd_real, ch * n), *z = fd_new(&m, fd_real, ch * n);
        c->s.modes = 3;
        for (int p = 0; p < n; p++)
            y[p] = (fd_real)(mode(bc, n, L, 1, point(bc, n, L, p))
                             - 2 * mode(bc, n, L, 2, point(bc, n, L, p)));
        double want = 1 / (sd[0] * sd[0]) + 4 / (sd[1] * sd[1]);
        NEAR(fd_cov_norm2(c, y, m), want, TOL(1e-9, 1e-2) * want, "kind %d: norm in the span",
             kind);
        y[3] += (fd_real).1;
        z[0] = 7;
        fd_cov_pow(c, -1, 1, y, z, m);
        OK(m.st->code == FD_EDATA && z[0] == 7, "kind %d: out of the span", kind);
        memset(m.st, 0, offsetof(fd_status, size));
        fd_cov_draw(c, fd_seed(1), 0, 1, y, m);
        fd_cov_pow(c, 0, 1, y, z, m);
        NEAR(test_rel(ch * n, z, y), 0, TOL(1e-9, 1e-3), "kind %d: draws are in the span", kind);
    }
    principal_weighted(a);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static double negative(const double *x, const double *y, const void *prm)
{
    (void)prm;
    return x[0] == y[0] ? 0 : 1;
}

/* Nyquist modes carry nothing, so a part there has no norm; 1e-6 of it is not rounding */
static void no_power(const fd_cov *c, fd_arena a)
{
    fd_status *st = a.st;
    fd_real x[24], y[24];
    const char *text =
        "fd_cov_pow: negative power of an eigenvalue 0: the function has a part there";
    for (int i = 0; i < 24; i++) x[i] = (fd_real)(1 + 1e-4 * (i / 3 % 2 ? 1 : -1)), y[i] = 5;
    for (int i = 0; i < 12; i++) x[i] = 1;
    fd_cov_pow(c, -.5, 2, x, y, a);
    OK(y[0] == 5 && y[23] == 5, "untouched");
    expect(st, FD_EDATA, text);
    fd_cov_pow(c, .5, 2, x, y, a);
    OK(y[0] != 5 && !st->code, "positive powers have no such limit");
    OK(isnan(fd_cov_norm2(c, x + 12, a)), "no norm");
    expect(st, FD_EDATA,
           "fd_cov_norm2: negative power of an eigenvalue 0: the function has a part there");
    fd_cov_pow(c, -.5, 1, x, y, a);
    OK(!st->code, "the first one is all right");
    fd_cov_pow(fd_cov_power(&a, &c->s, 1, 0, 2), -1, 1, x, y, a);
    expect(st, FD_EDATA, text);
}

/* absent arguments, and an earlier failure */
static void no_covariance(const fd_space *s, const fd_cov *c, fd_arena a)
{
    fd_status *st = a.st;
    const fd_space none = { .nd = 0 };
    const double lam[12] = { 0 };
    fd_real x[24] = { 0 }, y[24] = { 0 };
    for (int round = 0; round < 2; round++) {
        y[0] = 5;
        const fd_cov *q = round ? c : NULL;
        const fd_space *z = round ? s : &none;
        OK(!fd_cov_white(&a, z, 1, 0) && !fd_cov_rbf(&a, z, 1, 1) && !fd_cov_matern(&a, z, 1, 1, 1)
           && !fd_cov_exp(&a, z, 1, 1) && !fd_cov_power(&a, z, 1, 1, 1)
           && !fd_cov_bessel(&a, z, 1, 1, 1) && !fd_cov_bridge(&a, z, 1)
           && !fd_cov_brownian(&a, z, 1) && !fd_cov_table(&a, z, lam)
           && !fd_cov_kernel(&a, z, negative, NULL) && !fd_cov_empirical(&a, z, 2, x, 0, y)
           && !fd_cov_spectrum(&a, z, lam, 0)
           && !fd_cov_pca(&a, z, 2, x, 1, y) && !fd_cov_on(&a, q, z), "nothing from nothing");
        fd_cov_pow(q, 1, 1, x, y, a);
        fd_cov_draw(q, fd_seed(1), 0, 1, y, a);
        fd_cov_std(q, y, a);
        if (!round) fd_cov_draw_modes(q, fd_seed(1), 0, 1, y);
        fd_cov_pow(c, 1, 1, NULL, y, a);
        fd_cov_pow(c, 1, 1, x, NULL, a);
        fd_cov_pow(c, 1, 0, x, y, a);
        fd_cov_draw(c, fd_seed(1), 0, 1, NULL, a);
        fd_cov_draw(c, fd_seed(1), 0, 0, y, a);
        fd_cov_draw_modes(c, fd_seed(1), 0, 1, NULL);
        fd_cov_draw_modes(c, fd_seed(1), 0, 0, y);
        fd_cov_std(c, NULL, a);
        OK(!fd_cov_table(&a, s, NULL) && !fd_cov_kernel(&a, s, NULL, NULL)
           && !fd_cov_spectrum(&a, s, NULL, 0) && !fd_cov_empirical(&a, s, 2, NULL, 0, y)
           && !fd_cov_pca(&a, s, 2, NULL, 1, y), "nothing from no numbers");
        OK(isnan(fd_cov_norm2(q, x, a)) && y[0] == 5, "nothing done");
        OK(!round == !st->code, "and nothing recorded");
        FD_FAIL(st, FD_EIO, "here", "before");
    }
    expect(st, FD_EIO, "here: before");
}

#define FAILS(call, code, text) \
    do { OK(!(call), "NULL of " #call); expect(st, code, text); } while (0)

static void pca_errors(const fd_space *s, fd_arena a)
{
    fd_status *st = a.st;
    const fd_real x[24] = { 0 };
    FAILS(fd_cov_pca(&a, s, 1, x, 3, NULL), FD_EARG, "fd_cov_pca: needs at least 2 functions: 1");
    FAILS(fd_cov_pca(&a, s, 2, x, 0, NULL), FD_EARG, "fd_cov_pca: modes must be at least 1: 0");
    const fd_real flat[3] = { 1, 1, 1 }, gap[3] = { 1, 0, 1 };
    const fd_space holed = fd_dense(NULL, 3, 1, flat, gap, 1);
    FAILS(fd_cov_pca(&a, &holed, 2, x, 1, NULL), FD_EARG,
          "fd_cov_pca: weights must be positive: point: 1");
    FAILS(fd_cov_pca(&a, s, 2, x, 3, NULL), FD_EDATA,
          "fd_cov_pca: the functions are all the same: 2");
}

/* a law's parameters out of their range, and spaces that a law does not have */
static void law_errors(fd_arena a)
{
    fd_status *st = a.st;
    const fd_space s = fd_grid(&a, 2, (int[]){ 4, 3 }, NULL, NULL, 1);
    const fd_space p = fd_grid(&a, 2, (int[]){ 4, 3 }, NULL, (int[]){ FD_DIRICHLET, FD_MIXED }, 1);
    const fd_real one[12] = { 1 };
    const fd_space d = fd_dense(NULL, 12, 1, one, one, 1);
    FAILS(fd_cov_white(&a, &s, -1, 0), FD_EARG, "fd_cov_white: sigma2 must be at least 0");
    FAILS(fd_cov_white(&a, &s, 1, -1), FD_EARG, "fd_cov_white: kmax must be at least 0");
    FAILS(fd_cov_rbf(&a, &s, -1, 1), FD_EARG, "fd_cov_rbf: var must be at least 0");
    FAILS(fd_cov_rbf(&a, &s, 1, 0), FD_EARG, "fd_cov_rbf: ell must be positive");
    FAILS(fd_cov_matern(&a, &s, 1, NAN, 1), FD_EARG, "fd_cov_matern: ell must be positive");
    FAILS(fd_cov_matern(&a, &s, 1, 1, 0), FD_EARG, "fd_cov_matern: nu must be positive");
    FAILS(fd_cov_matern(&a, &s, INFINITY, 1, 1), FD_EARG, "fd_cov_matern: var must be at least 0");
    FAILS(fd_cov_exp(&a, &s, 1, -2), FD_EARG, "fd_cov_exp: ell must be positive");
    FAILS(fd_cov_power(&a, &s, 1, -1, 1), FD_EARG, "fd_cov_power: tau (or c) must be at least 0");
    FAILS(fd_cov_power(&a, &s, -1, 1, 1), FD_EARG, "fd_cov_power: scale must be at least 0");
    FAILS(fd_cov_bessel(&a, &s, 1, -4, 1), FD_EARG, "fd_cov_bessel: tau (or c) must be at least 0");
    FAILS(fd_cov_bessel(&a, &s, 1, 1, -1), FD_EARG,
          "fd_cov_bessel: alpha (or gamma) must be at least 0");
    FAILS(fd_cov_bridge(&a, &p, 1), FD_EARG,
          "fd_cov_bridge: every axis must be FD_DIRICHLET: axis: 1");
    FAILS(fd_cov_brownian(&a, &p, 1), FD_EARG,
          "fd_cov_brownian: every axis must be FD_MIXED: axis: 0");
    FAILS(fd_cov_exp(&a, &d, 1, 1), FD_EARG, "fd_cov_exp: needs a grid, not a dense space");
}

static void cov_errors(fd_arena a)
{
    fd_status *st = a.st;
    fd_space s = fd_grid(&a, 2, (int[]){ 4, 3 }, NULL, NULL, 1);
    fd_space p = fd_grid(&a, 2, (int[]){ 4, 3 }, NULL, (int[]){ FD_DIRICHLET, FD_MIXED }, 1);
    fd_space l = fd_grid(&a, 2, (int[]){ 4, 3 }, (double[]){ 1, 2 }, NULL, 1);
    fd_real one[12] = { 1 }, x[24] = { 0 };
    fd_space d = fd_dense(NULL, 12, 1, one, one, 1);
    double lam[12] = { 0 };
    fd_cov *c = fd_cov_exp(&a, &s, 1, .1), *k = fd_cov_table(&a, &d, lam);
    OK(c && k && k->kind == FD_COV_DENSE && !st->code, "setup");
    lam[7] = -1e-20;
    FAILS(fd_cov_table(&a, &s, lam), FD_EARG,
          "fd_cov_table: eigenvalue negative or not finite: mode: 7");
    FAILS(fd_cov_kernel(&a, &s, negative, NULL), FD_EDATA,
          "fd_cov_kernel: kernel is not positive: eigenvalue: 9");
    FAILS(fd_cov_kernel(&a, &d, negative, NULL), FD_EARG,
          "fd_cov_kernel: needs a grid, not a dense space");
    FAILS(fd_cov_empirical(&a, &s, 0, x, 0, NULL), FD_EARG,
          "fd_cov_empirical: needs at least 1 function: 0");
    FAILS(fd_cov_empirical(&a, &s, 1, x, 2, NULL), FD_EARG,
          "fd_cov_empirical: floor must be between 0 and 1");
    FAILS(fd_cov_spectrum(&a, &s, lam, 0), FD_EARG,
          "fd_cov_spectrum: variance negative or not finite: mode: 7");
    FAILS(fd_cov_spectrum(&a, &s, c->lam, 2), FD_EARG,
          "fd_cov_spectrum: floor must be between 0 and 1");
    FAILS(fd_cov_spectrum(&a, &s, c->lam, -1), FD_EARG,
          "fd_cov_spectrum: floor must be between 0 and 1");
    FAILS(fd_cov_empirical(&a, &s, 1, x, NAN, NULL), FD_EARG,
          "fd_cov_empirical: floor must be between 0 and 1");
    FAILS(fd_cov_spectrum(&a, &d, c->lam, 0), FD_EARG,
          "fd_cov_spectrum: needs a grid, not a dense space");
    const fd_space fine = fd_grid(&a, 2, (int[]){ 256, 129 }, NULL, NULL, 1);
    FAILS(fd_cov_kernel(&a, &fine, negative, NULL), FD_EARG,
          "fd_cov_kernel: too many points for a matrix: 33024");
    pca_errors(&s, a);
    FAILS(fd_cov_on(&a, c, &l), FD_ESHAPE, "fd_cov_on: lengths differ: axis: 1");
    FAILS(fd_cov_on(&a, c, &p), FD_ESHAPE, "fd_cov_on: boundaries differ: axis: 0");
    FAILS(fd_cov_on(&a, c, &d), FD_EARG, "fd_cov_on: needs a grid, not a dense space");
    FAILS(fd_cov_on(&a, k, &s), FD_EARG, "fd_cov_on: needs a grid, not a dense space");
    no_power(c, a);
    const fd_space no_modes = fd_dense(NULL, 12, 0, one, one, 1);
    fd_real drawn = 5;
    fd_cov_draw_modes(fd_cov_table(&a, &no_modes, lam), fd_seed(1), 0, 1, &drawn);
    OK(drawn == 5 && !st->code, "no modes, no draws");
    FAILS(fd_cov_pca(&a, &fine, 33024, x, 1, NULL), FD_EARG,
          "fd_cov_pca: too many functions and points: 33024, 33024");
    no_covariance(&s, c, a);
}

/* every arena size: FD_ENOMEM or the right answer */
static void starved(void)
{
    static char mem[1 << 18];
    uint64_t want = 0;
    const double l = .3;
    for (size_t size = sizeof mem, lap = 0; lap < 2; lap++, size = 0)
        for (int done = 0; !done; size += 64) {
            fd_status st;
            fd_arena a = fd_arena_over(mem, size, &st);
            fd_real out[5 * 64] = { 0 };
            double tr;
            fd_space s = fd_grid(&a, 2, (int[]){ 5, 4 }, NULL, (int[]){ FD_NEUMANN, FD_PERIODIC },
                                 1);
            fd_space t = fd_grid(&a, 2, (int[]){ 7, 3 }, NULL, (int[]){ FD_NEUMANN, FD_PERIODIC },
                                 1);
            fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5), *d = fd_cov_on(&a, c, &t);
            fd_real *x = fd_new(&a, fd_real, 4 * 20);
            fd_cov_draw(c, fd_seed(1), 0, 4, x, a);
            fd_cov_pow(c, -.5, 1, x, out, a);
            fd_resample(&s, &t, 1, x, out + 64, a);
            fd_cov *e = fd_cov_empirical(&a, &s, 4, x, 1e-3, out + 128);
            fd_cov *p = fd_cov_pca(&a, &s, 4, x, 2, NULL);
            fd_cov *k = fd_cov_kernel(&a, &s, expkernel, &l);
            fd_cov_draw(p, fd_seed(1), 0, 1, out + 192, a);
            fd_cov_pow(p, -1, 1, out + 192, out + 192, a);
            fd_cov_std(k, out + 256, a);
            const double of_dense = fd_cov_norm2(p, out + 192, a);
            tr = fd_cov_trace(d) + fd_cov_trace(e) + fd_cov_norm2(c, x, a) + of_dense;
            uint64_t h = test_hash(out, sizeof out) ^ test_hash(&tr, sizeof tr);
            if (lap == 0) {
                OK(!st.code, "%s: %s", st.where ? st.where : "", st.what ? st.what : "");
                want = h;
                done = 1;
            } else if (st.code) {
                if (st.code != FD_ENOMEM) OK(0, "size %zu: code %d", size, st.code);
                done = st.code != FD_ENOMEM || size > sizeof mem;
            } else {
                OK(h == want, "size %zu: the right answer", size);
                done = 1;
            }
        }
}

/* Each with all that it needs made beforehand, so that memory lacks within the call. */
struct starve {
    void (*run)(const struct starve *q, fd_real *out, fd_arena a);
    const char *name;
    fd_space s, to;
    const fd_cov *c;
    int b;
    const fd_real *x;
};
static void starve_any(const void *self, fd_real *out, fd_arena a)
{
    const struct starve *q = self;
    q->run(q, out, a);
}
static void starve_to(const struct starve *q, fd_real *out,
                      fd_arena a) { fd_to_modes(&q->s, q->b, out, out, a); }
static void starve_from(const struct starve *q, fd_real *out,
                        fd_arena a) { fd_from_modes(&q->s, q->b, out, out, a); }
static void starve_half(const struct starve *q, fd_real *out,
                        fd_arena a) { fd_cov_pow(q->c, .5, q->b, out, out, a); }
static void starve_white(const struct starve *q, fd_real *out,
                         fd_arena a) { fd_cov_pow(q->c, -.5, q->b, out, out, a); }
static void starve_draw(const struct starve *q, fd_real *out,
                        fd_arena a) { fd_cov_draw(q->c, fd_seed(7), 0, q->b, out, a); }
static void starve_std(const struct starve *q, fd_real *out,
                       fd_arena a) { fd_cov_std(q->c, out, a); }
static void starve_again(const struct starve *q, fd_real *out, fd_arena a)
{
    fd_resample(&q->s, &q->to, q->b, q->x, out, a);
}
static void starve_empirical(const struct starve *q, fd_real *out, fd_arena a)
{
    fd_cov_empirical(&a, &q->s, q->b, q->x, 0, out);
}
static void starve_pca(const struct starve *q, fd_real *out,
                       fd_arena a) { fd_cov_pca(&a, &q->s, q->b, q->x, 2, out); }
static void starve_norm(const struct starve *q, fd_real *out, fd_arena a)
{
    double v = fd_cov_norm2(q->c, q->x, a);
    if (!isnan(v)) out[0] = (fd_real)v;
    OK(isnan(v) == !!a.st->code, "fd_cov_norm2: %g, code %d", v, a.st->code);
}

/* fd_cov_pixel against the sum over many modes, and against what the grid's standard deviations
 * say */
static void pixel(void)
{
    static const struct { int nd, bc[3]; double len[3], ell, nu; int n; double tol; } rows[] = {
        { 1, { FD_PERIODIC }, { 1 }, 1, 0, 64, 1e-13 },
            { 1, { FD_PERIODIC }, { 1 }, 10, 0, 8, 1e-13 },
        { 1, { FD_PERIODIC }, { 2.385 }, .2, 0, 256, 1e-13 },
            { 1, { FD_NEUMANN }, { 1.7 }, .1, 0, 512, 1e-13 },
        { 1, { FD_NEUMANN }, { 1.7 }, .19, 0, 512, 1e-12 },
            { 1, { FD_DIRICHLET }, { .6 }, .05, 0, 512, 1e-13 },
        { 1, { FD_MIXED }, { 1 }, .1, 0, 512, 1e-13 }, { 1, { FD_MIXED }, { 1 }, .7, 0, 64, 1e-13 },
        { 1, { FD_PERIODIC }, { 1 }, .3, 2.5, 65536, 1e-11 },
            { 1, { FD_NEUMANN }, { 1 }, .1, 1.5, 65536, 1e-9 },
        { 1, { FD_DIRICHLET }, { 1 }, 3, 3.7, 4096, 1e-11 },
            { 1, { FD_PERIODIC }, { 1 }, 1, .5, 1 << 18, 1e-5 },
        { 2, { FD_NEUMANN, FD_PERIODIC }, { 1, 1.7 }, .4, 0, 64, 1e-12 },
        { 2, { FD_NEUMANN, FD_MIXED }, { 1, .6 }, .3, 3, 512, 1e-9 },
        { 3, { FD_PERIODIC, FD_NEUMANN, FD_DIRICHLET }, { 1, 1, 2 }, 1, 0, 24, 1e-12 } };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const double var = 2.385, nu = rows[r].nu;
        fd_status st;
        fd_arena a = test_arena((size_t)256 << 20, &st);
        int few[3] = { 5, 4, 3 }, n[3] = { rows[r].n, rows[r].n, rows[r].n };
        double sum = 0, volume = 1;
        fd_space s = fd_grid(&a, rows[r].nd, few, rows[r].len, rows[r].bc, 1);
        fd_space t = fd_grid(&a, rows[r].nd, n, rows[r].len, rows[r].bc, 1);
        const double ell = rows[r].ell;
        fd_cov *c = nu > 0 ? fd_cov_matern(&a, &s, var, ell, nu) : fd_cov_rbf(&a, &s, var, ell);
        fd_cov *d = fd_cov_on(&a, c, &t);
        for (int i = 0; i < rows[r].nd; i++) volume *= rows[r].len[i];
        for (ptrdiff_t k = 0; d && k < t.modes; k++) sum += d->lam[k];
        NEAR(fd_cov_pixel(c), sum / volume, rows[r].tol * sum / volume, "row %d", (int)r);
        OK(!st.code && fd_cov_pixel(d) == fd_cov_pixel(c), "row %d: another grid", (int)r);
        test_free();
    }
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 4 }, (double[]){ 2, 3 }, NULL, 1);
    fd_cov *c = fd_cov_power(&a, &s, 1, 1, 2);
    NEAR(fd_cov_pixel(c), fd_cov_trace(c) / 6, 1e-16, "others");
    NEAR(fd_cov_pixel(fd_cov_rbf(&a, &s, 3, 1e-9)), 3, 1e-14, "a short length");
    NEAR(fd_cov_pixel(fd_cov_matern(&a, &s, 3, 1e-9, .01)), 3, 1e-6, "a short length, rough");
    OK(isnan(fd_cov_pixel(NULL)), "nothing");
}

static fd_cov_rule rule_matern, rule_wrong;
static double rule_matern(double mu, const void *self)
{
    const double *p = self;                            /* scale, 2 nu/l^2, exponent */
    return p[0] * pow(p[1] + mu, -p[2]);
}
static double rule_wrong(double mu, const void *self) { return mu > 30
                                                        ? *(const double *)self : 1; }

/* a family made by its rule, on two grids; wrong rules; fd_wave against the table in fd.h */
static void functions(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    static const int bc[3] = { FD_PERIODIC, FD_NEUMANN, FD_DIRICHLET };
    static const double len[3] = { 1, 1.7, .6 };
    fd_space s = fd_grid(&a, 3, (int[]){ 4, 5, 3 }, len, bc, 2),
        t = fd_grid(&a, 3, (int[]){ 7, 3, 6 }, len, bc, 2);
    const double p[3] = { 7, 30, 2.25 };
    fd_cov *c = fd_cov_function(&a, &s, rule_matern, p), *d = fd_cov_on(&a, c, &t);
    fd_cov *e = fd_cov_power(&a, &s, 7, sqrt(30), 2.25), *f = fd_cov_on(&a, e, &t);
    OK(c && d && f, "made: %s", st.code ? st.what : "");
    for (ptrdiff_t k = 0; c && k < s.modes; k++) NEAR(c->lam[k], e->lam[k], 1e-13 * e->lam[k],
                                                      "mode %d", (int)k);
    for (ptrdiff_t k = 0; d && k < t.modes; k++) NEAR(d->lam[k], f->lam[k], 1e-13 * f->lam[k],
                                                      "mode %d", (int)k);
    double *mu = fd_new(&a, double, s.modes);
    fd_laplace(&s, mu, a);
    for (ptrdiff_t k = 0; mu && k < s.modes; k++) {
        int j[3];
        double own, w[3];
        fd_mode(&s, k, j);
        w[0] = (j[0] + 1) / 2, w[1] = j[1], w[2] = j[2] + 1;
        NEAR(fd_wave(&s, k, &own), sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]), 1e-14,
             "wave of mode %d", (int)k);
        w[0] *= 2 * pi, w[1] *= pi / 1.7, w[2] *= pi / .6;
        NEAR(own, w[0] * w[0] + w[1] * w[1] + w[2] * w[2], 1e-12 * own, "mu of mode %d", (int)k);
        OK(own == mu[k] && fd_wave(&s, k, NULL) >= 0, "fd_laplace, mode %d", (int)k);
    }
    static const double wrong[] = { -1e-300, NAN, INFINITY };
    for (int i = 0; i < 3; i++) {
        fd_arena b = a;
        OK(!fd_cov_function(&b, &s, rule_wrong, &wrong[i]) && st.code == FD_EARG
           && !strcmp(st.where, "fd_cov_function")
           && !strcmp(st.what, "eigenvalue negative or not finite: mode"),
           "%g: %s", wrong[i], st.code ? st.what : "taken");
        st.code = 0;
    }
    OK(!fd_cov_function(&a, &s, NULL, NULL) && st.code == FD_EARG, "no function");
    st.code = 0;
    fd_real one = 1;
    double own = 0;
    fd_space z = fd_dense(NULL, 1, 1, &one, &one, 1);
    OK(isnan(fd_wave(&z, 0, &own)) && isnan(own), "points have no waves");
    OK(!fd_cov_function(&a, &z, rule_matern, p) && st.code == FD_EARG, "points");
    st.code = 0;
    /* grids that do not go together: nothing happens */
    fd_real u[120], w[200];
    for (int i = 0; i < 200; i++) w[i] = 7;
    fd_space g = fd_grid(&a, 1, (int[]){ 5 }, NULL, NULL, 1);
    fd_modes_between(&s, &g, 1, u, w);
    fd_modes_between(&z, &g, 1, u, w);
    OK(w[0] == 7 && w[4] == 7, "fd_modes_between");
    OK(FD_VERSION == 100 && !strcmp(FD_VERSION_TEXT, "0.1.0"), "version");
}

static void untouched(void)
{
    static const struct { int nd, n[3], bc[3], ch, b; } rows[] = {
        { 2, { 5, 4 }, { FD_NEUMANN, FD_PERIODIC }, 2, 3 }, { 1, { 30 }, { FD_MIXED }, 1, 2 },
        { 3, { 4, 3, 5 }, { FD_DIRICHLET, FD_NEUMANN, FD_PERIODIC }, 1, 2 },
        { 1, { 17000 }, { FD_NEUMANN }, 1, 2 },
            { 2, { 200, 170 }, { FD_PERIODIC, FD_DIRICHLET }, 1, 3 },
        { 2, { 16, 16 }, { FD_PERIODIC, FD_PERIODIC }, 1, 70 } };
    static const struct { const char *name; void (*run)(const struct starve *q, fd_real *out,
                                                        fd_arena a); } calls[] = {
        { "fd_to_modes", starve_to }, { "fd_from_modes", starve_from },
            { "fd_cov_pow, 1/2", starve_half },
        { "fd_cov_pow, -1/2", starve_white }, { "fd_cov_draw", starve_draw },
            { "fd_resample", starve_again },
        { "fd_cov_norm2", starve_norm }, { "fd_cov_empirical", starve_empirical },
            { "fd_cov_std", starve_std },
        { "fd_cov_pca", starve_pca } };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int dense = 0; dense < 2; dense++) {
            fd_status st;
            fd_arena a = test_arena((size_t)64 << 20, &st);
            fd_space g = fd_grid(&a, rows[r].nd, rows[r].n, NULL, rows[r].bc, rows[r].ch);
            const int large = g.points * rows[r].b > 1000;
            if (dense && large) { test_free(); continue; }
            struct starve q = { .b = rows[r].b, .s = g };
            int n[3] = { 3, 4, 6 };
            q.to = fd_grid(&a, rows[r].nd, large ? (int[]){ 21, 17 } : n, NULL, rows[r].bc,
                           rows[r].ch);
            q.c = fd_cov_exp(&a, &g, 1, .3);
            /* no Nyquist modes in x */
            if (rows[r].bc[0] == FD_PERIODIC || rows[r].bc[1] == FD_PERIODIC) {
                double *all = fd_new(&a, double, g.modes);
                for (ptrdiff_t k = 0; all && k < g.modes; k++) all[k] = 1.0 / (double)(1 + k);
                q.c = fd_cov_table(&a, &g, all);
            }
            fd_real *x = fd_new(&a, fd_real, q.b * fd_size(&g));
            fd_cov_draw(q.c, fd_seed(3), 0, q.b, x, a);
            if (dense) {
                q.c = fd_cov_pca(&a, &g, q.b, x, 2, NULL);
                if (q.c) q.s = q.c->s;
                fd_cov_draw(q.c, fd_seed(3), 0, q.b, x, a);
            }
            q.x = x;
            const ptrdiff_t size = q.b * (fd_size(&g) > fd_size(&q.to)
                                          ? fd_size(&g) : fd_size(&q.to));
            fd_real *out = fd_new(&a, fd_real, size);
            OK(!st.code, "row %d: %s", (int)r, st.code ? st.what : "");
            if (st.code) return;
            memcpy(out, x, (size_t)(q.b * fd_size(&g)) * sizeof *x);
            for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
                if ((dense && (calls[k].run == starve_again || calls[k].run == starve_empirical))
                    || (large && k >= 7)) continue;
                char name[80];
                sprintf(name, "%s, row %d%s", calls[k].name, (int)r, dense ? ", dense" : "");
                q.run = calls[k].run;
                test_starve(name, starve_any, &q, size, out);
            }
            test_free();
        }
}

/* k(x, y) = 1, less eps where x = y: eigenvalues 1 - eps/n once, -eps/n otherwise */
static double dented(const double *x, const double *y, const void *prm)
{
    return 1 - (x[0] == y[0] ? *(const double *)prm : 0);
}

/* where numbers begin and end to count */
static void limits(fd_arena a)
{
    enum { N = 8, M = 3 };
    fd_real x[M * N], y[N];
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    for (int i = 0; i < N; i++) x[i] = 1;
    for (int k = 0; k < 2; k++) {                       /* lengths that are the same to rounding */
        fd_space z = fd_grid(&a, 1, (int[]){ N }, (double[]){ k ? 1 + 1e-9 : 1 + 1e-14 }, NULL, 1);
        fd_resample(&s, &z, 1, x, y, a);
        OK(a.st->code == (k ? FD_ESHAPE : FD_OK), "lengths, case %d: %d", k, a.st->code);
        a.st->code = 0;
    }
    OK(fd_cov_white(&a, &s, 1e299, 0) && !fd_cov_white(&a, &s, 1e301, 0)
       && a.st->code == FD_EDATA, "1/lam must not overflow");
    a.st->code = 0;
    const double little = 4e-11, more = 4e-8;
    fd_cov *c = fd_cov_kernel(&a, &s, dented, &little);
    OK(c != NULL, "negative to rounding");
    for (int k = 1; c && k < N; k++) OK(c->lam[k] == 0, "eigenvalue %d: %g", k, c->lam[k]);
    OK(!fd_cov_kernel(&a, &s, dented, &more) && a.st->code == FD_EDATA, "a negative kernel");
    a.st->code = 0;
    /* a part of 2.5e-11 of |x|^2 where lam = 0 is rounding, one of 2.5e-9 is not */
    const double lam[N] = { 1, 1, 1, 0, 1, 1, 1, 1 };
    fd_cov *holes = fd_cov_table(&a, &s, lam);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < N; i++) x[i] = i == 0 ? 1 : i == 3 ? (fd_real)(k ? 5e-5 : 5e-6) : 0;
        fd_from_modes(&s, 1, x, x, a);
        fd_cov_pow(holes, -1, 1, x, y, a);
        OK(a.st->code == (k ? FD_EDATA : FD_OK), "where lam = 0, case %d: %d", k, a.st->code);
        a.st->code = 0;
    }
    /* a draw is the sum of its coefficients times the modes */
    fd_space two = fd_grid(&a, 2, (int[]){ 4, 5 }, (double[]){ 2, .7 },
                           (int[]){ FD_PERIODIC, FD_NEUMANN }, 2);
    fd_cov *m = fd_cov_matern(&a, &two, 1.3, .2, 1.5);
    fd_real u[80], v[80];
    fd_cov_draw(m, fd_seed(3), 7, 2, u, a);
    fd_cov_draw_modes(m, fd_seed(3), 7, 2, v);
    fd_from_modes(&two, 2, v, v, a);
    NEAR(test_rel(80, u, v), 0, TOL(1e-14, 4e-7), "a draw by its modes");
    /* two directions of data, the second 10^5 times smaller: both, and orthonormal */
    for (int i = 0; i < N; i++) {
        const double p = i % 2 ? 1 : -1, q = i / 2 % 2 ? 1 : -1;
        x[i] = (fd_real)(p + 1e-5 * q), x[N + i] = (fd_real)(1e-5 * q - p);
        x[2 * N + i] = (fd_real)(-2e-5 * q);
    }
    c = fd_cov_pca(&a, &s, M, x, M, NULL);
    OK(c && c->s.modes >= 2, "small components");
    if (!c || c->s.modes < 2) { a.st->code = 0; return; }
    NEAR(c->lam[1] / c->lam[0], 3e-10, TOL(1e-15, 1e-11), "their variance");
    for (int k = 0; k < 2; k++)
        NEAR(fd_inner(&s, c->s.basis + N, c->s.basis + k * N), k, TOL(1e-13, 1e-6), "basis %d", k);
}

void test_cov(void)
{
    fd_status st;
    fd_arena a = test_arena((size_t)32 << 20, &st);
    eigenvalues(a);
    traces(a);
    kernels(a);
    powers(a);
    cameron_martin(a);
    eigenpairs(a);
    two_grids(a);
    counters(a);
    batches(a);
    statistics(a);
    empirical(a);
    tables(a);
    many_components(a);
    modes_at_many(a);
    principal(a);
    law_errors(a);
    cov_errors(a);
    limits(a);
    starved();
    OK(!st.code, "%s: %s", st.where, st.what);
    pixel();
    functions();
    untouched();
}
