/* test_nets.c -- spectral convolution, losses, networks, the optimiser, checkpoints. */
#include "test.h"
#include <limits.h>

static const double pi = 3.14159265358979323846;

static double dot(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double s = 0;
    for (ptrdiff_t i = 0; i < n; i++) s += (double)x[i] * (double)y[i];
    return s;
}

/* the result of a call whose error is looked at in the next line: arguments have no order */
static int done;

/* ---- spectral convolution ---- */

typedef struct { int axes, n[3], lo[3], hi[3], b, ci, co; } spectral_case;

static const spectral_case cases[] = {
    { 1, { 1 }, { 0 }, { 0 }, 2, 1, 2 },                   { 1, { 2 }, { 0 }, { 1 }, 1, 1, 1 },
    { 1, { 7 }, { 0 }, { 2 }, 3, 2, 3 },                   { 1, { 8 }, { 0 }, { 4 }, 2, 3, 2 },
    { 1, { 9 }, { 0 }, { 4 }, 2, 3, 2 },                   { 1, { 100 }, { 0 }, { 50 }, 2, 5, 3 },
    { 1, { 101 }, { 0 }, { 50 }, 2, 3, 17 },               { 1, { 16 }, { 0 }, { 5 }, 2, 16, 35 },
    { 2, { 6, 5 }, { -3, 0 }, { 2, 2 }, 2, 2, 3 },         { 2, { 7, 8 }, { -2, 0 }, { 1, 4 }, 2,
                                                             3, 2 },
    { 2, { 4, 4 }, { -2, 0 }, { 1, 2 }, 3, 1, 1 },         { 2, { 90, 6 }, { -45, 0 }, { 44, 2 },
                                                             1, 2, 2 },
    { 2, { 91, 4 }, { -45, 0 }, { 45, 2 }, 1, 2, 1 },      { 2, { 12, 9 }, { -1, 0 }, { 3, 3 }, 2,
                                                             33, 4 },
    { 2, { 1, 6 }, { 0, 0 }, { 0, 3 }, 2, 2, 2 },          { 3, { 5, 4, 6 }, { -2, -2, 0 },
                                                             { 2, 1, 3 }, 2, 2, 3 },
    { 3, { 3, 6, 5 }, { -1, -2, 0 }, { 0, 2, 1 }, 1, 3, 2 },
    { 1, { 3 }, { 0 }, { 1 }, 2, 2, 1 },                   { 1, { 4 }, { 0 }, { 2 }, 2, 1, 2 },
    { 1, { 64 }, { 0 }, { 32 }, 2, 19, 40 },               { 1, { 66 }, { 0 }, { 33 }, 2, 33, 3 },
    { 1, { 45 }, { 0 }, { 22 }, 2, 3, 18 },
    { 2, { 34, 20 }, { -16, 0 }, { 15, 10 }, 1, 2, 9 },
    { 2, { 31, 28 }, { -15, 0 }, { 13, 13 }, 1, 5, 2 },    { 1, { 20 }, { 0 }, { 7 }, 37, 3, 5 },
    { 2, { 7, 10 }, { -3, 0 }, { 2, 4 }, 19, 4, 3 },
    /* without the mode 0 of a first axis */
    { 2, { 8, 6 }, { 1, 0 }, { 3, 2 }, 2, 2, 3 },
    { 3, { 7, 6, 5 }, { -3, 1, 0 }, { -2, 2, 1 }, 2, 3, 2 },
    { 2, { 4, 4 }, { -1, 0 }, { 1, 1 }, 1, 64, 2 }
};

static void sizes(const spectral_case *c, int nx[5], int ny[5], int nw[6])
{
    nx[0] = ny[0] = c->b;
    for (int i = 0; i < c->axes; i++) {
        nx[i + 1] = ny[i + 1] = c->n[i];
        nw[i] = c->hi[i] - c->lo[i] + 1;
    }
    nx[c->axes + 1] = nw[c->axes] = c->ci;
    ny[c->axes + 1] = nw[c->axes + 1] = c->co;
    nw[c->axes + 2] = 2;
}

static ptrdiff_t product(int nd, const int n[])
{
    ptrdiff_t p = 1;
    for (int i = 0; i < nd; i++) p *= n[i];
    return p;
}

/* the definition, mode by mode and point by point, in double */
static void by_definition(const spectral_case *c, const fd_real *x, const fd_real *w, fd_real *y)
{
    int n[3] = { 1, 1, 1 }, lo[3] = { 0 }, hi[3] = { 0 };
    for (int i = 0; i < c->axes; i++) {
        n[3 - c->axes + i] = c->n[i];
        lo[3 - c->axes + i] = c->lo[i];
        hi[3 - c->axes + i] = c->hi[i];
    }
    int points = n[0] * n[1] * n[2];
    double *sum = calloc((size_t)(c->b * points * c->co), sizeof *sum);
    const fd_real *r = w;
    for (int k0 = lo[0]; k0 <= hi[0]; k0++)
    for (int k1 = lo[1]; k1 <= hi[1]; k1++)
    for (int k2 = 0; k2 <= hi[2]; k2++, r += c->ci * c->co * 2) {
        double ck = k2 == 0 || 2 * k2 == n[2] ? 1 : 2;
        for (int b = 0; b < c->b; b++) {
            double ur[64] = { 0 }, ui[64] = { 0 };
            for (int pass = 0; pass < 2; pass++)
                for (int p = 0; p < points; p++) {
                    double phase = 2 * pi * ((double)(k0 * (p / n[2] / n[1])) / n[0]
                                 + (double)(k1 * (p / n[2] % n[1])) / n[1]
                                     + (double)(k2 * (p % n[2])) / n[2]);
                    double cs = cos(phase), sn = sin(phase);
                    if (!pass) {
                        for (int i = 0; i < c->ci; i++) {
                            double v = (double)x[(b * points + p) * c->ci + i] / points;
                            ur[i] += v * cs;
                            ui[i] -= v * sn;
                        }
                    } else {
                        for (int o = 0; o < c->co; o++) {
                            double re = 0, im = 0;
                            for (int i = 0; i < c->ci; i++) {
                                double rr = (double)r[(i * c->co + o) * 2],
                                    ri = (double)r[(i * c->co + o) * 2 + 1];
                                re += rr * ur[i] - ri * ui[i];
                                im += rr * ui[i] + ri * ur[i];
                            }
                            sum[(b * points + p) * c->co + o] += ck * (re * cs - im * sn);
                        }
                    }
                }
        }
    }
    for (int i = 0; i < c->b * points * c->co; i++) y[i] = (fd_real)sum[i];
    free(sum);
}

static void test_spectral_values(fd_arena mem)
{
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const spectral_case *c = &cases[k];
        fd_arena a = mem;
        int nx[5], ny[5], nw[6], d = c->axes;
        sizes(c, nx, ny, nw);
        ptrdiff_t sx = product(d + 2, nx), sy = product(d + 2, ny), sw = product(d + 3, nw);
        fd_real *x = normals(&a, 1, sx), *w = normals(&a, 2, sw), *z = normals(&a, 3, sy),
            *want = fd_raw(&a, fd_real, sy);
        by_definition(c, x, w, want);
        fd_tape t = fd_tape_begin(&a, FD_GRAD2);
        fd_var *vx = fd_param(&t, d + 2, nx, x, NULL), *vw = fd_param(&t, d + 3, nw, w, NULL),
            *vz = fd_param(&t, d + 2, ny, z, NULL), *g[2];
        fd_var *y = fd_spectral(&t, vx, vw, d, c->lo, c->hi);
        OK(y && !a.st->code, "case %d: %s", (int)k, explain(a.st));
        if (!y) { a.st->code = 0; continue; }
        NEAR(test_rel(sy, y->x, want), 0, TOL(1e-13, 2e-6), "case %d against the definition",
             (int)k);

        /* <z, S(x, w)> = <S*(z, w), x> = <G(x, z), w> */
        double zy = dot(sy, z, y->x), size = sqrt(dot(sy, z, z) * dot(sy, y->x, y->x));
        fd_grad(&t, y, vz, 2, (fd_var *[]){ vx, vw }, g);
        if (!g[0] || !g[1]) { OK(0, "case %d: %s", (int)k, explain(a.st)); a.st->code =
                              0; continue; }
        NEAR(dot(sx, g[0]->x, x), zy, TOL(1e-13, 1e-5) * size, "case %d: adjoint in x", (int)k);
        NEAR(dot(sw, g[1]->x, w), zy, TOL(1e-13, 1e-5) * size, "case %d: adjoint in w", (int)k);

        /* the other two operators of the family against this one: d/dz <q, S*(z, w)> = S(q, w),
         * .. */
        fd_real *q = normals(&a, 4, sx), *r = normals(&a, 5, sw), *qs = fd_raw(&a, fd_real, sy);
        fd_var *vq = fd_param(&t, d + 2, nx, q, NULL), *vr = fd_param(&t, d + 3, nw, r, NULL);
        fd_var *h[2], *u, *ug[2];
        fd_grad(&t, g[0], vq, 2, (fd_var *[]){ vz, vw }, h);
        by_definition(c, q, w, qs);
        if (!h[0] || !h[1]) { OK(0, "case %d: %s", (int)k, explain(a.st)); a.st->code =
                              0; continue; }
        NEAR(test_rel(sy, h[0]->x, qs), 0, TOL(1e-13, 2e-6), "case %d: S* differentiated by z",
             (int)k);
        u = fd_spectral(&t, vq, vw, d, c->lo, c->hi);
        fd_grad(&t, u, vz, 1, &vw, ug);
        if (!ug[0]) { OK(0, "case %d: %s", (int)k, explain(a.st)); a.st->code = 0; continue; }
        NEAR(test_rel(sw, h[1]->x, ug[0]->x), 0, TOL(1e-13, 1e-6),
             "case %d: S* differentiated by w", (int)k);
        fd_grad(&t, g[1], vr, 2, (fd_var *[]){ vx, vz }, h);
        by_definition(c, x, r, qs);
        if (!h[0] || !h[1]) { OK(0, "case %d: %s", (int)k, explain(a.st)); a.st->code =
                              0; continue; }
        NEAR(test_rel(sy, h[1]->x, qs), 0, TOL(1e-13, 2e-6), "case %d: G differentiated by z",
             (int)k);
        u = fd_spectral(&t, vx, vr, d, c->lo, c->hi);
        fd_grad(&t, u, vz, 1, &vx, ug);
        if (!ug[0]) { OK(0, "case %d: %s", (int)k, explain(a.st)); a.st->code = 0; continue; }
        NEAR(test_rel(sx, h[0]->x, ug[0]->x), 0, TOL(1e-13, 1e-6),
             "case %d: G differentiated by x", (int)k);
    }
}

/* q(x, w) = sum (p . d/dx + r . d/dw) sum c S(x, w)^3, whose gradient needs every vjp of the
 * family */
static double second_order(const spectral_case *c, fd_real *x, fd_real *w, const fd_real *p,
                           const fd_real *r,
                           const fd_real *cc, fd_real *dx, fd_real *dw, fd_arena a)
{
    int nx[5], ny[5], nw[6], d = c->axes;
    sizes(c, nx, ny, nw);
    fd_tape t = fd_tape_begin(&a, FD_GRAD2);
    fd_var *v[2] = { fd_param(&t, d + 2, nx, x, NULL), fd_param(&t, d + 3, nw, w, NULL) }, *g[2];
    fd_var *h[2];
    fd_var *y = fd_spectral(&t, v[0], v[1], d, c->lo, c->hi);
    y = fd_mul(&t, fd_mul(&t, fd_map(&t, y, FD_SQUARE), y), fd_input(&t, d + 2, ny, cc));
    fd_grad(&t, y, NULL, 2, v, g);
    int one[1] = { 1 };
    fd_var *q = fd_add(&t, fd_sum_to(&t, fd_mul(&t, g[0], fd_input(&t, d + 2, nx, p)), 1, one),
                       fd_sum_to(&t, fd_mul(&t, g[1], fd_input(&t, d + 3, nw, r)), 1, one));
    if (!q) { OK(0, "%s", explain(a.st)); return 0; }
    if (dx) {
        fd_grad(&t, q, NULL, 2, v, h);
        if (!h[0] || !h[1]) { OK(0, "%s", explain(a.st)); return 0; }
        memcpy(dx, h[0]->x, (size_t)fd_count(h[0]) * sizeof *dx);
        memcpy(dw, h[1]->x, (size_t)fd_count(h[1]) * sizeof *dw);
    }
    return (double)q->x[0];
}

static void test_spectral_gradients(fd_arena mem)
{
    static const int which[] = { 2, 3, 8, 9, 15, 26, 27 };
    for (size_t k = 0; k < sizeof which / sizeof *which; k++) {
        spectral_case small = cases[which[k]];
        const spectral_case *c = &small;
        small.b = 2;
        small.ci = 2;
        small.co = 1;
        fd_arena a = mem;
        int nx[5], ny[5], nw[6], d = c->axes;
        sizes(c, nx, ny, nw);
        ptrdiff_t sx = product(d + 2, nx), sy = product(d + 2, ny), sw = product(d + 3, nw);
        fd_real *x = normals(&a, 1, sx), *w = normals(&a, 2, sw), *p = normals(&a, 3, sx),
            *r = normals(&a, 4, sw);
        fd_real *cc = normals(&a, 5, sy), *dx = fd_raw(&a, fd_real, sx),
            *dw = fd_raw(&a, fd_real, sw);
        second_order(c, x, w, p, r, cc, dx, dw, a);
        double worst = 0, most = 0, h = TOL(1e-4, 2e-2);
        for (ptrdiff_t i = 0; i < sx + sw; i += 1 + (sx + sw) / 60) {
            fd_real *at = i < sx ? x + i : w + i - sx, was = *at;
            double got = (double)(i < sx ? dx[i] : dw[i - sx]);
            *at = (fd_real)((double)was + h);
            double up = second_order(c, x, w, p, r, cc, NULL, NULL, a), hu = (double)*at;
            *at = (fd_real)((double)was - h);
            double down = second_order(c, x, w, p, r, cc, NULL, NULL, a), hd = (double)*at;
            *at = was;
            double want = (up - down) / (hu - hd);
            if (fabs(want - got) > worst) worst = fabs(want - got);
            if (fabs(want) > most) most = fabs(want);
        }
        NEAR(worst / most, 0, TOL(1e-6, 5e-3), "case %d: gradient of gradient", which[k]);
    }
}

/* x with a 1x1 spectral weight on one channel; returns y in y */
static void apply(fd_arena a, int axes, const int n[], const int lo[], const int hi[], fd_real *x,
                  fd_real *w,
                  fd_real *y)
{
    spectral_case c = { axes, { 0 }, { 0 }, { 0 }, 1, 1, 1 };
    int nx[5], ny[5], nw[6];
    for (int i = 0; i < axes; i++) { c.n[i] = n[i]; c.lo[i] = lo[i]; c.hi[i] = hi[i]; }
    sizes(&c, nx, ny, nw);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *v = fd_spectral(&t, fd_input(&t, axes + 2, nx, x), fd_input(&t, axes + 3, nw, w), axes,
                            lo, hi);
    if (v) memcpy(y, v->x, (size_t)fd_count(v) * sizeof *y);
    OK(v != NULL, "%s", explain(a.st));
}

static void spectral_errors(const fd_real *x, const fd_real *w, fd_arena a)
{
    const int lo[2] = { -3, 0 }, hi[2] = { 2, 3 };
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *vx = fd_input(&t, 4, (int[]){ 1, 6, 7, 1 }, x),
        *vw = fd_input(&t, 5, (int[]){ 6, 4, 1, 1, 2 }, w);
    static const struct { int axes, lo[2], hi[2]; const char *text; } bad[] = {
        { 2, { -4, 0 }, { 1, 3 },
            "fd_spectral: too few points for the modes: points, lo, hi: 6, -4, 1" },
        { 2, { -2, 0 }, { 3, 3 },
            "fd_spectral: too few points for the modes: points, lo, hi: 6, -2, 3" },
        { 2, { -3, 0 }, { 1, 3 },
            "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 4, 5" },
        { 2, { -3, 1 }, { 2, 4 }, "fd_spectral: modes of the last axis start at 0, not at: 1" },
        { 1, { 0, 0 }, { 5, 0 },
            "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 4, 5" },
        { -2, { 0 }, { 0 },
            "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 0, 0" },
        { 2, { INT_MIN, 0 }, { INT_MIN + 5, 3 },
            "fd_spectral: too few points for the modes: points, lo, hi: 6, -2147483648, -2147483643"
        },
        { 2, { -3, 0 }, { INT_MAX, 3 },
            "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 4, 5" }
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fd_var *one = fd_input(&t, 0, NULL, x), *few = bad[i].axes < 0 ? one : NULL;
        fd_var *v = fd_spectral(&t, few ? few : vx, few ? few : vw, bad[i].axes, bad[i].lo,
                                bad[i].hi);
        OK(!v && a.st->code == FD_ESHAPE && !strcmp(explain(a.st), bad[i].text), "%d: %s", (int)i,
           explain(a.st));
        a.st->code = 0;
    }
    OK(!fd_spectral(&t, NULL, vw, 2, lo, hi) && !a.st->code, "NULL is passed on");
}

static void test_spectral_facts(fd_arena mem)
{
    /* the identity filter: every mode of an odd and of an even grid */
    static const int side[][2] = { { 15, 17 }, { 16, 18 }, { 15, 18 }, { 128, 3 } };
    for (int k = 0; k < 4; k++) {
        fd_arena a = mem;
        const int *n = side[k], lo[2] = { -(n[0] / 2), 0 }, hi[2] = { (n[0] - 1) / 2, n[1] / 2 };
        int modes = n[0] * (hi[1] + 1), points = n[0] * n[1];
        fd_real *w = fd_new(&a, fd_real, 2 * modes), *x = normals(&a, 7, points),
            *y = fd_new(&a, fd_real, points);
        for (int i = 0; i < modes; i++) w[2 * i] = 1;
        apply(a, 2, n, lo, hi, x, w, y);
        NEAR(test_rel(points, y, x), 0, TOL(2e-15, 1e-6), "identity filter on %d x %d", n[0], n[1]);
    }

    /* shifted input, shifted output, the k_last = 0 plane included */
    fd_arena a = mem;
    const int n[2] = { 6, 7 }, lo[2] = { -3, 0 }, hi[2] = { 2, 3 };
    fd_real *w = normals(&a, 8, 48), *x = normals(&a, 9, 42), *xs = fd_new(&a, fd_real, 42);
    fd_real *y = fd_new(&a, fd_real, 42), *ys = fd_new(&a, fd_real, 42),
        *moved = fd_new(&a, fd_real, 42);
    for (int i = 0; i < 42; i++) xs[(i / 7 + 1) % 6 * 7 + (i % 7 + 3) % 7] = x[i];
    apply(a, 2, n, lo, hi, x, w, y);
    apply(a, 2, n, lo, hi, xs, w, ys);
    for (int i = 0; i < 42; i++) moved[(i / 7 + 1) % 6 * 7 + (i % 7 + 3) % 7] = y[i];
    NEAR(test_rel(42, ys, moved), 0, TOL(2e-15, 1e-6), "shift equivariance");

    /* Nyquist: x = (-1)^i meets Re R only */
    const int n8[1] = { 8 }, lo8[1] = { 0 }, hi8[1] = { 4 };
    fd_real w8[10] = { 0 }, x8[8], y8[8];
    w8[8] = (fd_real)2.385;
    w8[9] = (fd_real)-1.71;
    for (int i = 0; i < 8; i++) x8[i] = (fd_real)(i % 2 ? -1 : 1);
    apply(a, 1, n8, lo8, hi8, x8, w8, y8);
    for (int i = 0; i < 8; i++)
        NEAR((double)y8[i], 2.385 * (double)x8[i], TOL(1e-14, 1e-6), "Nyquist, point %d", i);

    /* cos(2 pi x0): half of k0 = 1, half of k0 = -1, with unrelated weights R1, R2:
     * Re (R1 + conj R2)/2 e^(2 pi i x0)  */
    fd_real wp[48] = { 0 }, xp[42], yp[42];
    wp[(4 * 4) * 2] = (fd_real)0.7, wp[(4 * 4) * 2 + 1] = (fd_real)1.3;               /* k0 = 1 */
    wp[(2 * 4) * 2] = (fd_real)-0.4, wp[(2 * 4) * 2 + 1] = (fd_real)0.9;              /* k0 = -1 */
    for (int i = 0; i < 42; i++) xp[i] = (fd_real)cos(2 * pi * (i / 7) / 6);
    apply(a, 2, n, lo, hi, xp, wp, yp);
    for (int i = 0; i < 42; i++) {
        double want = 0.15 * cos(2 * pi * (i / 7) / 6) - 0.2 * sin(2 * pi * (i / 7) / 6);
        NEAR((double)yp[i], want, TOL(1e-14, 1e-6), "projection of the k_last = 0 plane, point %d",
             i);
    }

    spectral_errors(x, w, a);
}

/* ---- covariances and the loss ---- */

static double rbf(const double *x, const double *y, const void *prm)
{
    double d = x[0] - y[0];
    (void)prm;
    return exp(-d * d / .5) + (d == 0 ? .1 : 0);
}

/* a space whose modes and weights are not those of a grid */
static fd_cov *uneven(fd_arena *a, fd_space *s)
{
    static fd_real basis[3 * 3], weight[3] = { 2, (fd_real).5, (fd_real)1.25 };
    static const double lam[3] = { 1.2, .7, .3 };
    /* wrong rows are mended below */
    double q[9] = { .48, .6, .64, -.8, .6, 0, -.36, -.48, .8 };
    for (int i = 0; i < 3; i++)                /* Gram-Schmidt */
        for (int j = 0; j <= i; j++) {
            double p = 0;
            for (int l = 0; l < 3; l++) p += q[3 * i + l] * q[3 * j + l];
            for (int l = 0; l < 3; l++)
                q[3 * i + l] = i == j ? q[3 * i + l] / sqrt(p)
                    : q[3 * i + l] - p * q[3 * j + l];
        }
    for (int i = 0; i < 9; i++) basis[i] = (fd_real)(q[i] / sqrt((double)weight[i % 3]));
    *s = fd_dense(NULL, 3, 3, basis, weight, 2);
    return fd_cov_table(a, s, lam);
}

static void fit_errors(fd_tape *t, const fd_space *s, const fd_cov *c, const fd_real *x,
                       const fd_real *y, fd_arena a)
{
    int wrong[3] = { 3, 1, (int)s->points };
    fd_var *vw = fd_input(t, 3, wrong, x);
    done = !fd_mse_loss(t, s, vw, y, NULL);
    OK(done && a.st->code == FD_ESHAPE && !strcmp(a.st->where, "fd_mse_loss"), "%s", explain(a.st));
    a.st->code = 0;
    done = !fd_cov_apply(t, c, 1, vw);
    OK(done && a.st->code == FD_ESHAPE && !strcmp(a.st->where, "fd_cov_apply"), "%s",
       explain(a.st));
    a.st->code = 0;
    vw = fd_input(t, 2, (int[]){ 2, (int)s->points }, x);
    done = !fd_mse_loss(t, s, vw, y, NULL) && a.st->code == FD_ESHAPE;
    a.st->code = 0;
    vw = fd_input(t, 3, (int[]){ 1, 2, (int)s->points - 1 }, x);
    OK(done && !fd_mse_loss(t, s, vw, y, NULL) && a.st->code == FD_ESHAPE, "%s", explain(a.st));
    a.st->code = 0;
    OK(!fd_mse_loss(t, s, NULL, y, NULL) && !fd_cov_apply(t, c, 1, NULL)
       && !fd_cov_apply(t, NULL, 1, vw) && !a.st->code, "NULL");
}

static void test_cov_and_fit(fd_arena mem)
{
    for (int k = 0; k < 3; k++) {
        fd_arena a = mem;
        int n[2] = { 5, 6 }, bc[2] = { FD_PERIODIC, FD_NEUMANN };
        double len[2] = { 1.3, 0.7 };
        fd_space s = fd_grid(&a, k < 2 ? 2 : 1, n, len, bc, 2);
        fd_cov *c = k < 2 ? fd_cov_matern(&a, &s, 1.3, .4, 1.5) : NULL;
        /* modes and weights that are not those of a grid */
        if (k == 2) c = uneven(&a, &s);
        ptrdiff_t size = 3 * fd_size(&s);
        int nx[3] = { 3, 2, (int)s.points };
        double p = k ? .5 : 2;
        fd_real *x = normals(&a, 1, size), *z = normals(&a, 2, size),
            *want = fd_new(&a, fd_real, size), *y = normals(&a, 3, size);
        fd_cov_pow(c, p, 3, x, want, a);
        fd_tape t = fd_tape_begin(&a, FD_GRAD2);
        fd_var *vx = fd_param(&t, 3, nx, x, NULL), *v = fd_cov_apply(&t, c, p, vx),
            *vz = fd_param(&t, 3, nx, z, NULL), *g, *gg;
        fd_grad(&t, v, vz, 1, &vx, &g);
        /* linear: the gradient of the gradient is C^p x again */
        fd_grad(&t, g, vx, 1, &vz, &gg);
        if (!gg) { OK(0, "%s", explain(a.st)); a.st->code = 0; continue; }
        OK(!test_maxdiff(size, v->x, want), "space %d: fd_cov_apply is fd_cov_pow", k);
        NEAR(dot(size, g->x, x), dot(size, z, want),
             TOL(1e-13, 1e-5) * sqrt(dot(size, z, z) * dot(size, want, want)),
             "space %d: transpose", k);
        NEAR(test_rel(size, gg->x, want), 0, TOL(1e-13, 1e-5), "space %d: transpose twice", k);

        const double w[3] = { 2.385, 0, .5 };
        for (int weighted = 0; weighted < 2; weighted++) {
            double sum = 0;
            ptrdiff_t per = fd_size(&s);
            for (int i = 0; i < 3; i++) {
                fd_real *d = fd_new(&a, fd_real, per);
                for (ptrdiff_t j = 0; j < per; j++) d[j] = x[i * per + j] - y[i * per + j];
                sum += (weighted ? w[i] : 1) * fd_inner(&s, d, d) / 3;
            }
            fd_var *l = fd_mse_loss(&t, &s, vx, y, weighted ? w : NULL), *dl;
            fd_grad(&t, l, NULL, 1, &vx, &dl);
            if (!dl) { OK(0, "%s", explain(a.st)); a.st->code = 0; continue; }
            OK(fd_count(l) == 1, "a scalar");
            NEAR((double)l->x[0], sum, TOL(1e-13, 1e-5) * sum, "space %d: fd_mse_loss", k);
            for (ptrdiff_t j = 0; j < size; j += 5) {
                double hj = s.weight ? (double)s.weight[j % s.points] : s.h;
                double d = 2 * hj * (weighted ? w[j / per] : 1) / 3 * ((double)x[j] - (double)y[j]);
                NEAR((double)dl->x[j], d, TOL(1e-13, 1e-5), "space %d: gradient of fd_mse_loss", k);
            }
        }
        fit_errors(&t, &s, c, x, y, a);
        if (k < 2) {
            fd_space s1 = fd_grid(&a, 1, n, len, (int[]){ FD_NEUMANN }, 1);
            fd_cov *e = fd_cov_kernel(&a, &s1, rbf, NULL);
            fd_real *u = normals(&a, 9, 5), *v5 = fd_new(&a, fd_real, 5);
            fd_cov_pow(e, .5, 1, u, v5, a);
            fd_var *d = fd_cov_apply(&t, e, .5, fd_input(&t, 3, (int[]){ 1, 1, 5 }, u));
            OK(d && !test_maxdiff(5, d->x, v5), "a kernel matrix");
        }
    }
}

/* ---- networks ---- */

/* first weights: range and moments by the papers */
static void test_first_weights(fd_arena mem)
{
    for (int kind = 0; kind < 2; kind++) {
        fd_arena a = mem;
        fd_arch arch = { .kind = kind ? FD_FNO_BLOCK : FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1,
                         .width = 16, .layers = 1, .fno.modes = { 32 }, .time = FD_TIME_FILM };
        fd_net *net = fd_net_new(&a, &arch, fd_seed(5));
        double mean = 0, square = 0;
        for (int j = 0; net && j < net->parts; j++) {
            const fd_part *p = &net->part[j];
            ptrdiff_t n = product(p->nd, p->n);
            int film = !strncmp(p->name, "film", 4), spectral = !strcmp(p->name, "layer0.spectral");
            if (film) OK(dot(n, net->w + p->at, net->w + p->at) == 0, "film starts at 0");
            for (ptrdiff_t i = 0; spectral && i < n; i++) {
                mean += (double)net->w[p->at + i] / (double)n;
                square += pow((double)net->w[p->at + i], 2) / (double)n;
            }
        }
        NEAR(mean, kind ? 0 : .5 / 256, kind ? .01 : 1e-4, "mean of R");
        NEAR(sqrt(square), kind ? sqrt(.5 / 16) : sqrt(1. / 3) / 256, kind ? .01 : 1e-4,
             "size of R");
    }
}

static void test_refused(fd_arena mem)
{
    static const struct { fd_arch a; const char *text; } bad[] = {
        { { .kind = 99, .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 1, .fno.modes = { 2 } },
          "fd_net_new: kind must be FD_FNO_ORIGINAL..FD_FNO_SEPARABLE, is: 99" },
        { { .nd = 4, .in = 1, .out = 1, .width = 2, .layers = 1, .fno.modes = { 2 } },
            "fd_net_new: nd must be 1..3, is: 4" },
        { { .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 10000, .fno.modes = { 2 } },
            "fd_net_new: layers must be 0..9999, is: 10000" },
        { { .nd = 2, .in = 1, .out = 1, .width = 2, .layers = 1, .fno.modes = { 2, -1 } },
            "fd_net_new: fno.modes[1] must be 0..65536, is: -1" },
        { { .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 1, .fno.modes = { 2 }, .embed = 3 },
            "fd_net_new: embed must be even, 2..65536, is: 3" },
        { { .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 1, .fno.modes = { 2 }, .act = 99 },
            "fd_net_new: act must be 0..FD_IDENTITY, is: 99" }
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fd_arena a = mem;
        done = !fd_net_new(&a, &bad[i].a, fd_seed(1));
        OK(done && a.st->code == FD_EARG && !strcmp(explain(a.st), bad[i].text), "%s",
           explain(a.st));
        a.st->code = 0;
    }
    fd_arena a = mem;
    const fd_arch huge = { .nd = 3, .in = 1, .out = 1, .width = 65536, .layers = 1,
                           .fno.modes = { 65536, 65536, 65536 } };
    done = !fd_net_new(&a, &huge, fd_seed(1));
    OK(done && a.st->code == FD_ESHAPE, "%s", explain(a.st));
    a.st->code = 0;
}

static void test_counts(fd_arena mem)
{
    enum { W = 24, M = 9 };
    const struct { fd_arch a; long long count; } rows[] = {
        { { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = 32, .layers = 4,
            .fno.modes = { 14, 14 }, .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED },
          3220001 },
        { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 256, .layers = 4,
            .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
            .fno = { .modes = { 32 }, .lift = 256, .proj = 128 } }, 9275905 },
        { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 256, .layers = 4,
            .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
            .fno = { .modes = { 64 }, .lift = 256, .proj = 128 } }, 17664513 },
        { { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 64, .layers = 4,
            .fno.modes = { 16 }, .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED }, 549633 },
        { { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = W, .layers = 4,
            .fno.modes = { M }, .time = FD_TIME_CHANNEL, .coords = FD_COORD_OPEN },
          3 * W + W + 4 * (2 * W * W * M + W * W + W) + 128 * W + 128 + 129 },
        { { .kind = FD_FNO_BLOCK, .nd = 3, .in = 2, .out = 3, .width = 4, .layers = 2,
            .time = FD_TIME_FILM, .embed = 6,
            .fno = { .modes = { 5, 6, 7 }, .lift = -1, .proj = 8 } },
          2 * 4 + 4 + 2 * (6 * 6 + 6) + 6 * 16 + 16 + 2 * (2 * 16 * 5 * 6 * 4 + 16 + 4) + 4 * 8 + 8
              + 8 * 3 + 3 }
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fd_arena a = mem;
        fd_net *net = fd_net_new(&a, &rows[i].a, fd_seed(5));
        if (!net) { OK(0, "%s", explain(a.st)); a.st->code = 0; continue; }
        OK(net->count == rows[i].count, "network %d: %lld reals", (int)i, (long long)net->count);
        const fd_part *p = &net->part[net->parts - 1];
        OK(p->at + product(p->nd, p->n) == net->count, "the last part ends at the end");
        for (int j = 0; j + 1 < net->parts; j++)
            OK(net->part[j].at + product(net->part[j].nd, net->part[j].n) == net->part[j + 1].at,
               "parts adjoin");
    }

    test_first_weights(mem);

    test_refused(mem);
}

static void shake(fd_net *net, int key, double scale);
static void forward(const fd_net *net, const fd_space *s, int b, fd_real *x, const double *time,
                    fd_real *y, int mode, fd_arena a);

/* the least mode on n points counts: -3 of 7, -3 of 6 as well; what is below it does not */
static void least_mode(int k, int half, int n, const fd_net *big, const fd_space *s, fd_real *x,
                       fd_arena a)
{
    for (int p = 0; p < big->parts; p++) {
        const fd_part *b = &big->part[p];
        if (!strstr(b->name, "spectral")) continue;
        ptrdiff_t row = 1, least = half ? 5 - 3 : 4 - 3;
        for (int i = 1; i < b->nd; i++) row *= b->n[i];
        fd_real y[3][49];
        const double now = .4;
        for (int i = 0; i < 3; i++) {             /* as it is; below; the least */
            fd_real *w = big->w + b->at + (i == 1 ? least - 1 : least) * row;
            for (ptrdiff_t j = 0; j < row && i; j++) w[j] += (fd_real).5;
            forward(big, s, 1, x, &now, y[i], FD_EVAL, a);
            for (ptrdiff_t j = 0; j < row && i; j++) w[j] -= (fd_real).5;
        }
        OK(!memcmp(y[1], y[0], (size_t)(n * n) * sizeof **y), "network %d, %s: no mode -4", k,
           b->name);
        OK(test_rel(n * n, y[2], y[0]) > 1e-4, "network %d, %s: mode -3", k, b->name);
    }
}

/* A network on a grid with fewer modes than it has weights for is one with the weights of those
 * modes: all Fourier operators, with and without norms, on every kind of tape. */
static void test_coarse(fd_arena mem)
{
    static const fd_arch arch[] = {
        { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 2,
          .time = FD_TIME_FILM, .embed = 4, .fno = { .lift = -1, .proj = -1 } },
        { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 2,
          .fno.proj = 3 },
        { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 2,
          .fno = { .lift = -1, .proj = -1, .norms = 2 } },
        { .kind = FD_FNO_SEPARABLE, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 1,
          .fno = { .groups = 2, .mlp = 3 } },
        { .kind = FD_FNO_UNET, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 1, .fno.groups = 2,
          .u.levels = 1 } };
    for (int k = 0; k < 10; k++) {
        fd_arena a = mem;
        /* 7 points: k = -3..3; 6 points: k = -3..2, and 0..3 on the last axis */
        fd_arch many = arch[k % 5], few = arch[k % 5];
        int half = k % 5 == 1 || k % 5 == 3, n = half || k < 5 ? 7 : 6;
        for (int i = 0; i < 2; i++) {
            many.fno.modes[i] = half ? 5 : 9;
            few.fno.modes[i] = half ? 4 : n;
        }
        fd_net *big = fd_net_new(&a, &many, fd_seed(1)), *small = fd_net_new(&a, &few, fd_seed(2));
        fd_space s = fd_grid(&a, 2, (int[]){ n, n }, NULL, NULL, 1);
        fd_real *x = normals(&a, 3, n * n);
        const double time = .4;
        if (!big || !small || !x) { OK(0, "%s", explain(a.st)); return; }
        shake(big, 4, .5);
        /* of modes lo.. of both axes those of the small one */
        for (int p = 0; p < big->parts; p++) {
            const fd_part *b = &big->part[p], *c = &small->part[p];
            ptrdiff_t row = 1;
            for (int i = 2; i < c->nd; i++) row *= c->n[i];
            int spectral = strstr(b->name, "spectral") != NULL, skip = half ? 5 - 4 : 4 - n / 2;
            for (int i = 0; i < c->n[0]; i++)
                for (int j = 0; j < (c->nd > 1 ? c->n[1] : 1); j++)
                    memcpy(small->w + c->at + (i * (c->nd > 1 ? c->n[1] : 1) + j) * row,
                           big->w + b->at + ((i + spectral * skip) * (b->nd > 1 ? b->n[1] : 1) + j)
                               * row,
                           (size_t)row * sizeof *big->w);
        }
        /* 7 points have no k = -4, 9 of the small one's rows do */
        if (half)
            for (int p = 0; p < small->parts; p++)
                OK(!strstr(small->part[p].name, "spectral") || small->part[p].n[0] == 8, "modes");
        least_mode(k, half, n, big, &s, x, a);
        for (int mode = FD_EVAL; mode <= FD_GRAD2; mode++) {
            fd_tape t = fd_tape_begin(&a, mode);
            fd_var *v = fd_input(&t, 3, (int[]){ 1, 1, n * n }, x);
            fd_var *y = fd_forward(big, &t, &s, v, &time), *z = fd_forward(small, &t, &s, v, &time);
            NEAR(y && z ? test_rel(n * n, y->x, z->x) : 1, 0, TOL(1e-14, 1e-6),
                 "network %d, mode %d: %s", k, mode,
                 explain(a.st));
        }
    }
}

static void shake(fd_net *net, int key, double scale)
{
    fd_normal(fd_seed((uint64_t)key), net->count, net->w);
    for (ptrdiff_t i = 0; i < net->count; i++) net->w[i] *= (fd_real)scale;
}

/* y = the network on b functions */
static void forward(const fd_net *net, const fd_space *s, int b, fd_real *x, const double *time,
                    fd_real *y, int mode,
                    fd_arena a)
{
    fd_tape t = fd_tape_begin(&a, mode);
    fd_var *v = fd_forward(net, &t, s, fd_input(&t, 3, (int[]){ b, net->arch.in, (int)s->points },
                                                x), time);
    OK(v != NULL, "%s", explain(a.st));
    if (v) memcpy(y, v->x, (size_t)fd_count(v) * sizeof *y);
}

static void test_grids(fd_arena mem)
{
    /* linear: band-limited input on several grids, odd and even, coarse to fine: the same
     * function */
    for (int nd = 1, taps = 0; nd <= 2; nd += taps > 0, taps = 3 - taps) {
        static const int side[] = { 12, 15, 17, 32, 64 };
        fd_arena a = mem;
        fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = nd, .in = 1, .out = 2, .width = 5, .layers = 2,
                         .grid = { 16, 12 }, .time = FD_TIME_FILM,
                         .fno = { .modes = { 8, 8 }, .stencil = taps, .linear = 1,
                                  .residual = 1 } };
        fd_net *net = fd_net_new(&a, &arch, fd_seed(3));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 4, .3);
        fd_arch curved = arch;
        curved.fno.linear = 0;
        fd_net *gelu = fd_net_new(&a, &curved, fd_seed(3));
        if (!gelu) { OK(0, "%s", explain(a.st)); return; }
        memcpy(gelu->w, net->w, (size_t)net->count * sizeof *net->w);
        double time[2] = { .3, .8 }, error[5];
        int top = nd == 1 ? 512 : 96, nt[2] = { top, top };
        fd_space fine = fd_grid(&a, nd, nt, NULL, NULL, 1), fine2 = fd_grid(&a, nd, nt, NULL, NULL,
                                                                            2);
        fd_cov *c = fd_cov_white(&a, &fine, 1, 3);
        ptrdiff_t size = fine.points;
        fd_real *x = fd_raw(&a, fd_real, 2 * size), *y = fd_raw(&a, fd_real, 4 * size),
            *z = fd_raw(&a, fd_real, 4 * size);
        fd_real *up = fd_raw(&a, fd_real, 4 * size);
        fd_cov_draw(c, fd_seed(9), 0, 2, x, a);
        forward(net, &fine, 2, x, time, y, FD_EVAL, a);
        forward(gelu, &fine, 2, x, time, z, FD_EVAL, a);
        for (int k = 0; k < 5; k++) {
            fd_arena b = a;
            int n[2] = { side[k], side[k] };
            fd_space s = fd_grid(&b, nd, n, NULL, NULL, 1), s2 = fd_grid(&b, nd, n, NULL, NULL, 2);
            fd_real *xs = fd_raw(&b, fd_real, 2 * s.points),
                *ys = fd_raw(&b, fd_real, 4 * s.points);
            fd_cov_draw(fd_cov_on(&b, c, &s), fd_seed(9), 0, 2, xs, b);
            forward(net, &s, 2, xs, time, ys, FD_EVAL, b);
            fd_resample(&s2, &fine2, 2, ys, up, b);
            NEAR(test_rel(4 * size, up, y), 0, TOL(1e-13, 2e-6),
                 "%d-D linear network on %d and %d points", nd, side[k], top);
            forward(gelu, &s, 2, xs, time, ys, FD_EVAL, b);
            fd_resample(&s2, &fine2, 2, ys, up, b);
            error[k] = test_rel(4 * size, up, z);
            OK(!b.st->code, "%s", explain(b.st));
        }
        OK(error[0] > error[3] && error[3] > error[4] && error[4] < .02,
           "%d-D GELU aliasing %g %g %g %g %g", nd, error[0],
           error[1], error[2], error[3], error[4]);
        fd_space few = fd_grid(&a, nd, (int[]){ 7, 7 }, NULL, NULL, 1);
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        OK(fd_forward(net, &t, &few, fd_input(&t, 3, (int[]){ 2, 1, (int)few.points }, x),
                      time) != NULL,
           "fewer points than modes: %s", explain(a.st));
        done = !fd_forward(net, &t, &few, fd_input(&t, 3, (int[]){ 2, 1, 5 }, x), time);
        OK(done && a.st->code == FD_ESHAPE &&
           !strcmp(a.st->where, "fd_forward"), "wrong points: %s", explain(a.st));
        a.st->code = 0;
        OK(!fd_forward(net, &t, &few, NULL, time) && !fd_forward(NULL, &t, &few, NULL, time)
           && !a.st->code, "NULL");
    }
}

/* networks of every kind for the tests below */
static const fd_arch zoo[] = {
    { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 2,
        .time = FD_TIME_FILM, .embed = 4, .tscale = 3, .fno = { .modes = { 3 }, .proj = 4 } },
    { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 2, .out = 1, .width = 2, .layers = 2,
        .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED, .act = FD_SILU,
        .fno = { .modes = { 2, 3 }, .proj = 3 } },
    { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 2, .width = 3, .layers = 3,
        .time = FD_TIME_FILM, .embed = 6, .tscale = 2, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 3, 4 }, .lift = 5, .proj = 4, .residual = 1 } },
    { .kind = FD_FNO_BLOCK, .nd = 3, .in = 1, .out = 1, .width = 2, .layers = 2, .act = FD_TANH,
        .fno = { .modes = { 2, 3, 2 }, .lift = -1, .proj = -1 } },
    { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 21, .layers = 2,
        .time = FD_TIME_FILM, .embed = 4, .tscale = 3, .act = FD_GELU_TANH,
        .fno = { .modes = { 4 }, .proj = 37 } },
    { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 3, .layers = 3,
      .time = FD_TIME_FILM, .embed = 4, .tscale = 2,
      .fno = { .modes = { 3, 4 }, .lift = 4, .proj = 3, .residual = 1, .mix = 5, .pad = { .3, .3 },
               .acts = 1 } },
    { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 2, .act = FD_SILU,
      .fno = { .modes = { 3 }, .proj = 4, .mix = 2, .pad = { .25, .25 }, .acts = 2 } },
    { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 2,
      .time = FD_TIME_CHANNEL,
      .fno = { .modes = { 3, 4 }, .lift = -1, .proj = -1, .mix = 3, .mix_acts = 2, .gates = 1,
               .norms = 2, .residual = 1 } },
    { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 3,
      .fno = { .modes = { 3 }, .proj = 4, .norms = 3 } },
    { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 3, .layers = 2,
        .time = FD_TIME_FILM, .embed = 4, .tscale = 2, .grid = { 7, 6 },
        .fno = { .modes = { 3, 4 }, .lift = -1, .proj = 3, .residual = 1, .stencil = 3 } },
    { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 2, .grid = { 5 },
        .fno = { .modes = { 3 }, .proj = 4, .norms = 3, .stencil = 5, .pad = { .3 } } }
};
enum { ZOO = sizeof zoo / sizeof *zoo };

static fd_space zoo_space(fd_arena *a, const fd_arch *arch)
{
    static const int n[3] = { 7, 6, 5 };
    return fd_grid(a, arch->nd, n, NULL, NULL, arch->in);
}

/* sum of z F(x), its gradient in net->g where mode has gradients, d/dx in dx */
static double probe(fd_net *net, const fd_space *s, int b, fd_real *x, const double *time,
                    const fd_real *z, int mode,
                    fd_real *dx, fd_arena a)
{
    fd_tape t = fd_tape_begin(&a, mode);
    int nx[3] = { b, net->arch.in, (int)s->points }, nz[3] = { b, net->arch.out, (int)s->points },
        one[1] = { 1 };
    fd_var *v = fd_param(&t, 3, nx, x, NULL), *g;
    fd_var *y = fd_sum_to(&t, fd_mul(&t, fd_forward(net, &t, s, v, time), fd_input(&t, 3, nz, z)),
                          1, one);
    if (!y) { OK(0, "%s", explain(a.st)); return 0; }
    double sum = (double)y->x[0];
    if (mode != FD_EVAL) {
        fd_backward(&t, y);
        fd_grad(&t, y, NULL, 1, &v, &g);
        if (!g) { OK(0, "%s", explain(a.st)); return 0; }
        memcpy(dx, g->x, (size_t)fd_count(g) * sizeof *dx);
    }
    return sum;
}

/* A network of the zoo, two functions x at time, what z weighs of its answers, the value v1 of
 * that, its gradients dx by x and g by the weights, and size = |g|. */
typedef struct {
    int k;
    fd_net *net;
    fd_space s;
    double time[2], size, v1;
    ptrdiff_t sx;
    fd_real *x, *z, *dx, *g;
} trial;

static double value_of(const trial *q, fd_arena a)
{
    return probe(q->net, &q->s, 2, q->x, q->time, q->z, FD_EVAL, NULL, a);
}

static void gradient_by_weights(const trial *q, fd_arena a)
{
    double h = TOL(1e-5, 1e-2), most = 0;
    for (ptrdiff_t i = 0; i < q->net->count; i++)
        if (fabs((double)q->g[i]) > most) most = fabs((double)q->g[i]);
    for (int p = 0; p < q->net->parts; p++) {
        const fd_part *part = &q->net->part[p];
        ptrdiff_t n = product(part->nd, part->n);
        double worst = 0;
        for (ptrdiff_t i = part->at; i < part->at + n; i += 1 + n / 12) {
            fd_real was = q->net->w[i];
            q->net->w[i] = (fd_real)((double)was + h);
            double up = value_of(q, a), hu = (double)q->net->w[i];
            q->net->w[i] = (fd_real)((double)was - h);
            double down = value_of(q, a), hd = (double)q->net->w[i];
            q->net->w[i] = was;
            double e = fabs((up - down) / (hu - hd) - (double)q->g[i]);
            if (!(e <= worst)) worst = e;
        }
        NEAR(worst / most, 0, TOL(1e-7, 3e-3), "network %d: gradient of %s", q->k, part->name);
    }
}

static void gradient_by_input(const trial *q, fd_arena a)
{
    double h = TOL(1e-5, 1e-2), worst = 0, most = 0;
    for (ptrdiff_t i = 0; i < q->sx; i += 1 + q->sx / 12) {
        fd_real was = q->x[i];
        q->x[i] = (fd_real)((double)was + h);
        double up = value_of(q, a), hu = (double)q->x[i];
        q->x[i] = (fd_real)((double)was - h);
        double down = value_of(q, a), hd = (double)q->x[i];
        q->x[i] = was;
        double e = fabs((up - down) / (hu - hd) - (double)q->dx[i]);
        if (!(e <= worst)) worst = e;
        if (fabs((double)q->dx[i]) > most) most = fabs((double)q->dx[i]);
    }
    NEAR(worst / most, 0, TOL(1e-7, 1e-2), "network %d: gradient by x", q->k);
}

/* The model: the same numbers, one function at a time or all at once, and the vjp. */
static void gradient_of_model(const trial *q, fd_arena a)
{
    if (zoo[q->k].in != zoo[q->k].out) return;
    fd_model m = fd_net_model(&a, q->net, FD_V);
    fd_real *y = fd_new(&a, fd_real, q->sx), *y1 = fd_new(&a, fd_real, q->sx);
    OK(m.predicts == FD_V && m.eval && m.vjp, "a model");
    m.eval(m.self, &q->s, 2, q->x, q->time, y, a);
    NEAR(dot(q->sx, y, q->z), q->v1, TOL(1e-12, 1e-4) * q->size, "network %d: as a model", q->k);
    for (int i = 0; i < 2; i++)
        m.eval(m.self, &q->s, 1, q->x + i * q->sx / 2, q->time + i, y1 + i * q->sx / 2, a);
    OK(!memcmp(y, y1, (size_t)q->sx * sizeof *y), "network %d: bits do not depend on the batch",
       q->k);
    m.vjp(m.self, &q->s, 2, q->x, q->time, q->z, y, a);
    for (int i = 0; i < 2; i++)
        m.vjp(m.self, &q->s, 1, q->x + i * q->sx / 2, q->time + i, q->z + i * q->sx / 2,
              y1 + i * q->sx / 2, a);
    NEAR(test_rel(q->sx, y, q->dx), 0, TOL(1e-13, 1e-6), "network %d: vjp of the model", q->k);
    OK(!memcmp(y, y1, (size_t)q->sx * sizeof *y),
       "network %d: bits of the vjp do not depend on the batch", q->k);
    fd_real *other = fd_new(&a, fd_real, q->net->count);
    fd_net *with = fd_net_with(&a, q->net, other);
    forward(with, &q->s, 2, q->x, q->time, y, FD_EVAL, a);
    OK(dot(q->sx, y, y) == 0 && !fd_net_with(&a, NULL, other) && !fd_net_with(&a, q->net, NULL),
       "fd_net_with");
    fd_space two = fd_grid(&a, zoo[q->k].nd, (int[]){ 7, 6, 5 }, NULL, NULL, 2);
    m.eval(m.self, &two, 1, q->x, q->time, y, a);
    OK(a.st->code == FD_ESHAPE && !strcmp(a.st->where, "fd_net_model"), "%s", explain(a.st));
    a.st->code = 0;
}

/* The same network over weights that are only read: the same bits, no memory for weights, no
 * gradient of them, and what would change them is refused. */
static void weights_only_read(const trial *q, fd_arena a)
{
    const ptrdiff_t count = q->net->count;
    const size_t bytes = (size_t)count * sizeof(fd_real);
    fd_real *w = fd_raw(&a, fd_real, count), *y = fd_raw(&a, fd_real, 4 * q->sx);
    fd_real *y1 = fd_raw(&a, fd_real, 4 * q->sx), *dx = fd_raw(&a, fd_real, q->sx);
    memcpy(w, q->net->w, bytes);
    const fd_arena before = a;
    fd_net *net = fd_net_over(&a, &zoo[q->k], w, count), *more;
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    OK(net->w == w && !net->g && (size_t)(a.beg - before.beg) < 4096 + bytes / 8,
       "network %d: %d bytes", q->k, (int)(a.beg - before.beg));
    const size_t size = 2 * (size_t)net->arch.out * (size_t)q->s.points * sizeof *y;
    for (int mode = FD_EVAL; mode <= FD_GRAD2; mode++) {
        forward(q->net, &q->s, 2, q->x, q->time, y, mode, a);
        forward(net, &q->s, 2, q->x, q->time, y1, mode, a);
        OK(!memcmp(y, y1, size), "network %d: another answer in mode %d", q->k, mode);
        if (mode == FD_EVAL) continue;
        probe(net, &q->s, 2, q->x, q->time, q->z, mode, dx, a);
        NEAR(test_rel(q->sx, dx, q->dx), 0, TOL(1e-13, 1e-6), "network %d: by x", q->k);
    }
    fd_opt *o = fd_opt_new(&a, q->net, NULL), *none = fd_opt_new(&a, net, NULL);
    OK(!none && a.st->code == FD_EARG && !strcmp(a.st->where, "fd_opt_new"), "%s", explain(a.st));
    a.st->code = 0;
    fd_opt_step(o, net, a.st);
    OK(a.st->code == FD_EARG && !strcmp(a.st->where, "fd_opt_step") && !o->step, "%s",
       explain(a.st));
    a.st->code = 0;
#ifndef FD_NO_STDIO
    const char *path = test_path("over.safetensors");
    fd_net_save(a.st, path, net, NULL, NULL, a);
    fd_net_load(&a, path, &more, NULL);
    OK(more && more->g && !memcmp(more->w, w, bytes), "network %d: %s", q->k, explain(a.st));
    OK(!fd_net_restore(&a, path, net, NULL).metas && a.st->code == FD_EARG
       && !strcmp(a.st->where, "fd_net_restore"), "%s", explain(a.st));
    a.st->code = 0;
#endif
    OK(!memcmp(w, q->net->w, bytes), "network %d: weights were written", q->k);
    more = fd_net_over(&a, &zoo[q->k], NULL, count);
    OK(!more && !a.st->code, "no weights");
    more = fd_net_over(&a, &zoo[q->k], w, count + 1);
    OK(!more && a.st->code == FD_ESHAPE && !strcmp(a.st->where, "fd_net_over")
       && a.st->v[0] == count + 1 && a.st->v[1] == count, "%s", explain(a.st));
    a.st->code = 0;
}

static void test_gradients(fd_arena mem)
{
    for (int k = 0; k < ZOO; k++) {
        fd_arena a = mem;
        fd_space s = zoo_space(&a, &zoo[k]);
        fd_net *net = fd_net_new(&a, &zoo[k], fd_seed(1));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 2, k == 4 ? .2 : k == 6 ? 1. : .5);
        ptrdiff_t sx = 2 * zoo[k].in * s.points, sz = 2 * zoo[k].out * s.points;
        fd_real *x = normals(&a, 3, sx), *z = normals(&a, 4, sz), *dx = fd_new(&a, fd_real, sx),
            *dx2 = fd_new(&a, fd_real, sx);
        fd_real *g = fd_new(&a, fd_real, net->count);
        double time[2] = { .3, .8 };
        double v1 = probe(net, &s, 2, x, time, z, FD_GRAD, dx, a);
        memcpy(g, net->g, (size_t)net->count * sizeof *g);
        memset(net->g, 0, (size_t)net->count * sizeof *g);
        double v2 = probe(net, &s, 2, x, time, z, FD_GRAD2, dx2, a),
            size = sqrt(dot(net->count, g, g));
        NEAR(v1, v2, TOL(1e-12, 1e-4) * size, "network %d: fused and composed values", k);
        NEAR(test_rel(net->count, g, net->g), 0, TOL(1e-12, 1e-5),
             "network %d: fused and composed gradients", k);
        NEAR(test_rel(sx, dx, dx2), 0, TOL(1e-12, 1e-5),
             "network %d: fused and composed gradients by x", k);
        NEAR(probe(net, &s, 2, x, time, z, FD_EVAL, NULL, a), v1, TOL(1e-12, 1e-4) * size,
             "network %d: without gradients", k);
        const trial q = { k, net, s, { time[0], time[1] }, size, v1, sx, x, z, dx, g };
        gradient_by_weights(&q, a), gradient_by_input(&q, a), gradient_of_model(&q, a);
        weights_only_read(&q, a);
    }
}

static void test_equivariance(fd_arena a)
{
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 6, .layers = 3,
                     .fno.modes = { 4, 5 }, .time = FD_TIME_FILM };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_space s = fd_grid(&a, 2, (int[]){ 6, 9 }, NULL, NULL, 1);
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 2, .3);
    fd_real *x = normals(&a, 3, 54), xs[54], y[54], ys[54], moved[54];
    double time = .4;
    for (int i = 0; i < 54; i++) xs[(i / 9 + 2) % 6 * 9 + (i % 9 + 5) % 9] = x[i];
    forward(net, &s, 1, x, &time, y, FD_EVAL, a);
    forward(net, &s, 1, xs, &time, ys, FD_EVAL, a);
    for (int i = 0; i < 54; i++) moved[(i / 9 + 2) % 6 * 9 + (i % 9 + 5) % 9] = y[i];
    NEAR(test_rel(54, ys, moved), 0, TOL(1e-13, 2e-6),
         "network without coordinates commutes with shifts");
    double later = .41;
    forward(net, &s, 1, x, &later, ys, FD_EVAL, a);
    OK(test_rel(54, ys, y) > 1e-3, "and depends on time");
}

/* ---- training ---- */

/* one step of regression on y; returns the loss */
static double train(fd_net *net, fd_opt *o, const fd_space *s, int b, fd_real *x,
                    const double *time, const fd_real *y,
                    fd_arena a)
{
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    int n[3] = { b, net ? net->arch.in : 1, (int)s->points };
    fd_space so = *s;
    so.ch = net ? net->arch.out : 1;
    fd_var *l = fd_mse_loss(&t, &so, fd_forward(net, &t, s, fd_input(&t, 3, n, x), time), y, NULL);
    double loss = l ? (double)l->x[0] : 0;
    fd_backward(&t, l);
    fd_opt_step(o, net, a.st);
    fd_tape_end(&t);
    return loss;
}

static void test_overfit(fd_arena a)
{
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 16, .layers = 3,
                     .time = FD_TIME_FILM, .coords = FD_COORD_OPEN,
                     .fno = { .modes = { 12 }, .lift = 32, .proj = 32 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.lr = 4e-3; how.warmup = 20; how.steps = 400;
    fd_opt *o = fd_opt_new(&a, net, &how);
    fd_space s = fd_grid(&a, 1, (int[]){ 19 }, NULL, NULL, 1);
    fd_real *x = normals(&a, 1, 4 * 19), *y = normals(&a, 2, 4 * 19);
    double time[4] = { .1, .4, .6, .9 }, first = train(net, o, &s, 4, x, time, y, a), last = first;
    for (int i = 1; i < 400; i++) last = train(net, o, &s, 4, x, time, y, a);
    OK(!a.st->code && last < 1e-3 * first, "four samples: from %g to %g, %s", first, last,
       explain(a.st));
}

/* Data N(0, c), noise N(0, lam), one time of a variance-preserving process. The loss of any linear
 * map is known in closed form, so what the trained one reaches is compared with the floor sum c v
 * lam/P without sampling error: with the map A and shift a in modes, sum_i sum_j A_ij^2 P_j - 2 m
 * A_ii c_i + c_i + a_i^2. */
static double expected_loss(const fd_net *net, const fd_space *s, const double *c,
                            const double *lam, double m, double v,
                            double time, fd_arena a)
{
    int n = (int)s->modes;
    fd_real *u = fd_new(&a, fd_real, (n + 1) * n), *x = fd_new(&a, fd_real, (n + 1) * n),
        *y = fd_new(&a, fd_real, (n + 1) * n);
    double *t = fd_new(&a, double, n + 1), sum = 0;
    for (int i = 0; i < n; i++) u[i * n + i] = 1;
    for (int i = 0; i <= n; i++) t[i] = time;
    fd_from_modes(s, n + 1, u, x, a);
    fd_model model = fd_net_model(&a, net, FD_X0);
    model.eval(model.self, s, n + 1, x, t, y, a);
    fd_to_modes(s, n + 1, y, u, a);
    for (int i = 0; i < n; i++) {
        double shift = (double)u[n * n + i];
        for (int j = 0; j < n; j++) {
            double A = (double)u[j * n + i] - shift;
            sum += A * A * (m * m * c[j] + v * lam[j]) - (i == j ? 2 * m * A * c[i] : 0);
        }
        sum += c[i] + shift * shift;
    }
    return sum;
}

/* R = m c/P of each mode */
static void set_exact(fd_net *net, const fd_cov *data, const fd_cov *noise, double m, double v)
{
    const int N = (int)data->s.points;
    for (int p = 0; p < net->parts; p++) {
        const fd_part *part = &net->part[p];
        fd_real *w = net->w + part->at;
        if (strcmp(part->name, "layer0.spectral")) {
            memset(w, 0, (size_t)product(part->nd, part->n) * sizeof *w);
            /* lift0, proj0: 1; skip: 0 */
            if (part->nd == 2) w[0] = (fd_real)(part->name[0] != 'l' || part->name[1] == 'i');
            continue;
        }
        for (int k = 0; k <= N / 2; k++) {
            int j = k ? 2 * k - 1 : 0;
            double P = m * m * data->lam[j] + v * noise->lam[j];
            w[2 * k] = P > 0 ? (fd_real)(m * data->lam[j] / P) : 0;
            w[2 * k + 1] = 0;
        }
    }
}

static void test_floor(fd_arena a)
{
    enum { N = 32, B = 64, STEPS = 1200 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .1, .5), *data = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_arch arch = { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 1, .layers = 1,
                     .fno = { .modes = { N / 2 + 1 }, .proj = -1, .linear = 1 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(4));
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.lr = .03; how.warmup = 10; how.steps = STEPS;
    fd_opt *o = fd_opt_new(&a, net, &how);
    if (!o || !data) { OK(0, "%s", explain(a.st)); return; }
    const double time = .37, B0 = .1 * time + 19.9 * time * time / 2, m = exp(-B0 / 2),
        v = 1 - exp(-B0);
    double floor = 0, t[B];
    for (int k = 0; k < N; k++)
        if (data->lam[k] > 0)
            floor += data->lam[k] * v * noise->lam[k] / (m * m * data->lam[k] + v * noise->lam[k]);
    for (int i = 0; i < B; i++) t[i] = time;
    fd_real *x0 = fd_raw(&a, fd_real, B * N), *e = fd_raw(&a, fd_real, B * N),
        *x = fd_raw(&a, fd_real, B * N);
    double start = expected_loss(net, &s, data->lam, noise->lam, m, v, time, a), now = start,
        average = 0;
    for (int i = 0; i < STEPS && !a.st->code; i++) {
        fd_cov_draw(data, fd_stream(fd_seed(1), 'x', 0), i * B, B, x0, a);
        fd_cov_draw(noise, fd_stream(fd_seed(1), 'e', 0), i * B, B, e, a);
        for (int j = 0; j < B * N; j++)
            x[j] = (fd_real)(m * (double)x0[j] + sqrt(v) * (double)e[j]);
        double loss = train(net, o, &s, B, x, t, x0, a);
        if (i >= STEPS / 2) average += loss / (STEPS - STEPS / 2);
        if (i % 100 == 99) {
            now = expected_loss(net, &s, data->lam, noise->lam, m, v, time, a);
            OK(now >= floor * (1 - TOL(1e-12, 1e-5)), "step %d undercuts the floor: %g, %g", i + 1,
               now, floor);
        }
    }
    fd_net *smooth = fd_net_with(&a, net, o->avg);
    double mean = smooth ? expected_loss(smooth, &s, data->lam, noise->lam, m, v, time, a) : 0;
    OK(!a.st->code && now < 1.01 * floor, "loss %g -> %.6g, average weights %.6g; floor %.6g; %s",
       start, now, mean, floor, explain(a.st));
    OK(mean >= floor * (1 - TOL(1e-12, 1e-5)) && mean < 1.01 * floor,
       "average weights %.6g, floor %.6g", mean, floor);
    OK(fabs(average / floor - 1) < .05, "the measured loss, %g, is at the floor, %g", average,
       floor);
    if (getenv("VERBOSE"))
        printf("floor %.6g: excess %.3g %%, of the average %.3g %%\n", floor,
               100 * (now / floor - 1), 100 * (mean / floor - 1));

    /* R = m c/P is the exact denoiser */
    set_exact(net, data, noise, m, v);
    NEAR(expected_loss(net, &s, data->lam, noise->lam, m, v, time, a), floor,
         TOL(1e-13, 1e-5) * floor, "exact weights");
    fd_process proc = fd_vp(noise, .1, 20);
    fd_model oracle = fd_oracle_gauss(&a, &proc, NULL, data), mine = fd_net_model(&a, net, FD_X0);
    if (oracle.eval) {
        oracle.eval(oracle.self, &s, 4, x, t, x0, a);
        mine.eval(mine.self, &s, 4, x, t, e, a);
        NEAR(test_rel(4 * N, e, x0), 0, TOL(1e-13, 1e-5), "the network is the oracle");
    }
}

static void default_rule(fd_arena a)
{
    fd_arch arch = { .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 1,
                         .fno.modes = { 2 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_opt *d = fd_opt_new(&a, net, (fd_adam[]){ fd_adam_default(FD_ADABELIEF) });
    OK(d && d->how.eps == 1e-16, "default");
    OK(!fd_opt_new(&a, net, &(fd_adam){ .rule = 3 }) && a.st->code == FD_EARG, "%s", explain(a.st));
    a.st->code = 0;
}

/* Every rule against its recursion in double, clipped by norm and by entry. */
static void test_rules(fd_arena a)
{
    for (int k = 0; k < 6; k++) {
        fd_arch arch = { .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 1,
                         .fno.modes = { 2 } };
        int rule = k % 3, each = k > 2;
        double eps = rule == FD_ADABELIEF ? 1e-5 : 1e-3;
        fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
        fd_adam how = fd_adam_default(rule);
        how.lr = .02; how.lr_end = .003; how.beta1 = .8; how.beta2 = .95; how.eps = eps;
        how.decay = .1; how.clip = 2.5; how.clip_each = each ? .3 : 0; how.ema = .7;
        how.warmup = 3; how.steps = 11;
        fd_opt *o = fd_opt_new(&a, net, &how);
        if (!o) { OK(0, "%s", explain(a.st)); return; }
        ptrdiff_t n = net->count;
        double *w = fd_new(&a, double, n), *m = fd_new(&a, double, n), *v = fd_new(&a, double, n),
            *avg = fd_new(&a, double, n), *top = fd_new(&a, double, n);
        int cut = 0;
        for (ptrdiff_t i = 0; i < n; i++) avg[i] = w[i] = (double)net->w[i];
        for (int step = 1; step <= 14; step++) {
            double square = 0, rate, scale, e;
            fd_normal(fd_seed((uint64_t)step), n, net->g);
            for (ptrdiff_t i = 0; i < n; i++) net->g[i] *= (fd_real)(step % 2 ? .1 : 1);
            for (ptrdiff_t i = 0; i < n; i++) square += (double)net->g[i] * (double)net->g[i];
            if (step < 3) rate = .02 * step / 3;
            else if (step < 11) rate = .003 + .017 * (1 + cos(pi * (step - 3) / 8.)) / 2;
            else rate = .003;
            NEAR(fd_opt_rate(o, step), rate, 1e-15, "rate of step %d", step);
            scale = sqrt(square) > 2.5 ? 2.5 / sqrt(square) : 1;
            e = (1. + step) / (10. + step) < .7 ? (1. + step) / (10. + step) : .7;
            for (ptrdiff_t i = 0; i < n; i++) {
                double g = scale * (double)net->g[i], u;
                cut += fabs(g) > .3;
                if (each) g = fmax(-.3, fmin(.3, g));
                m[i] = .8 * m[i] + .2 * g;
                if (rule == FD_ADABELIEF) v[i] = .95 * v[i] + .05 * (g - m[i]) * (g - m[i]) + eps;
                else v[i] = .95 * v[i] + .05 * g * g;
                u = top[i] = fmax(top[i], v[i]);
                if (rule != FD_AMSGRAD) u = v[i];
                w[i] -= rate * .1 * w[i];
                w[i] -= rate * (m[i] / (1 - pow(.8, step)))
                        / (sqrt(u / (1 - pow(.95, step))) + eps);
                avg[i] = e * avg[i] + (1 - e) * w[i];
            }
            NEAR(fd_opt_step(o, net, a.st), sqrt(square), 1e-12 * sqrt(square), "norm at step %d",
                 step);
            double dw = 0, da = 0, dg = 0;
            for (ptrdiff_t i = 0; i < n; i++) {
                dw = fmax(dw, fabs((double)net->w[i] - w[i]));
                da = fmax(da, fabs((double)o->avg[i] - avg[i]));
                dg = fmax(dg, fabs((double)net->g[i]));
            }
            NEAR(dw, 0, TOL(1e-14, 4e-6), "rule %d: weights at step %d", rule, step);
            NEAR(da, 0, TOL(1e-14, 4e-6), "rule %d: average at step %d", rule, step);
            OK(dg == 0 && o->step == step, "gradient cleared");
        }
        OK(cut > 5 && !!o->top == (rule == FD_AMSGRAD), "entries were cut: %d", cut);
    }
    default_rule(a);
}

static void test_optimiser(fd_arena mem)
{
    fd_arena a = mem;
    fd_arch arch = { .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 1,
                         .fno.modes = { 2 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_opt *o = fd_opt_new(&a, net, NULL);
    if (!o) { OK(0, "%s", explain(a.st)); return; }
    ptrdiff_t n = net->count;
    for (int step = 1; step <= 14; step++) {
        fd_normal(fd_seed((uint64_t)step), n, net->g);
        fd_opt_step(o, net, a.st);
    }
    fd_opt *d = fd_opt_new(&a, net, NULL);
    OK(d && d->how.lr == 1e-3 && d->how.beta1 == .9 && d->how.beta2 == .999 && d->how.eps == 1e-8
       && d->how.ema == .999 &&
       fd_opt_rate(d, 5) == 1e-3, "defaults");
    OK(!fd_opt_new(&a, NULL, NULL) && !a.st->code, "NULL");

    /* a gradient that is not finite changes nothing */
    uint64_t before[4] = { test_hash(net->w, (size_t)n * sizeof *net->w),
                           test_hash(o->m, (size_t)n * sizeof *o->m),
                           test_hash(o->v, (size_t)n * sizeof *o->v),
                           test_hash(o->avg, (size_t)n * sizeof *o->avg) };
    for (int k = 0; k < 2; k++) {
        net->g[n / 2] = (fd_real)(k ? INFINITY : NAN);
        fd_opt_step(o, net, a.st);
        OK(a.st->code == FD_ENAN && o->step == 14, "%s", explain(a.st));
        OK(test_hash(net->w, (size_t)n * sizeof *net->w) == before[0]
           && test_hash(o->m, (size_t)n * sizeof *o->m) == before[1]
           && test_hash(o->v, (size_t)n * sizeof *o->v) == before[2]
           && test_hash(o->avg, (size_t)n * sizeof *o->avg) == before[3],
           "weights, moments, average as they were");
        a.st->code = 0;
    }
    net->g[n / 2] = 0;
    OK(fd_opt_step(NULL, net, a.st) == 0 && fd_opt_step(o, NULL, a.st) == 0 && o->step == 14,
       "NULL");
}

/* hash of weights, moments and average after some steps */
static uint64_t state(const fd_net *net, const fd_opt *o)
{
    size_t n = (size_t)net->count * sizeof *net->w;
    return test_hash(net->w, n) ^ 3 * test_hash(o->avg, n) ^ 5 * test_hash(o->m,
        n) ^ 7 * test_hash(o->v, n);
}

static void run(fd_net *net, fd_opt *o, const fd_space *s, int steps, fd_arena a)
{
    for (int i = 0; i < steps && o; i++) {
        fd_arena b = a;
        int B = 5;
        fd_rng r = fd_stream(fd_seed(77), 'x', (uint32_t)o->step);
        fd_real *x = fd_raw(&b, fd_real, B * fd_size(s)),
            *y = fd_raw(&b, fd_real, B * net->arch.out * s->points);
        double t[5] = { .1, .2, .5, .7, .9 };
        if (!x || !y) return;
        fd_normal(r, B * fd_size(s), x);
        fd_normal(fd_stream(r, 'y', 0), B * net->arch.out * s->points, y);
        train(net, o, s, B, x, t, y, b);
    }
}

static void test_bits(fd_arena mem)
{
    int most = test_most_threads();
    static const fd_arch big[] = {
        { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = 20, .layers = 2,
            .fno.modes = { 5, 6 }, .time = FD_TIME_CHANNEL, .coords = FD_COORD_OPEN },
        { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 33, .layers = 2,
            .fno.modes = { 80 }, .time = FD_TIME_FILM }
    };
    for (int k = 0; k < ZOO + 2; k++) {
        const fd_arch *arch = k < ZOO ? &zoo[k] : &big[k - ZOO];
        uint64_t h[3] = { 0 };
        for (int i = 0; i < 3; i++) {
            fd_arena a = mem;
            fd_space s = k < ZOO ? zoo_space(&a, arch) : fd_grid(&a, arch->nd,
                arch->nd == 1 ? (int[]){ 200, 1 } : (int[]){ 30, 33 }, NULL, NULL, 1);
            test_use_threads(i == 1 ? 2 : 1);
            fd_net *net = fd_net_new(&a, arch, fd_seed(6));
            fd_opt *o = fd_opt_new(&a, net, NULL);
            run(net, o, &s, 2, a);
            OK(!a.st->code, "%s", explain(a.st));
            if (o) h[i] = state(net, o);
        }
        OK(h[0] == h[1], "network %d: one thread and two", k);
        OK(h[0] == h[2], "network %d: twice the same", k);
    }
    test_use_threads(most);
}

static void test_starved(void)
{
    static const int which[] = { 0, 2, 3 };
    for (int k = 0; k < 3; k++) {
        uint64_t want = 0;
        fd_status st;
        fd_arena a = test_arena(4 << 20, &st);
        char *mem = a.beg;
        for (size_t size = 4 << 20, step = 0; ; size += step) {
            a = fd_arena_over(mem, size, &st);
            fd_space s = zoo_space(&a, &zoo[which[k]]);
            fd_net *net = fd_net_new(&a, &zoo[which[k]], fd_seed(6));
            fd_opt *o = fd_opt_new(&a, net, NULL);
            run(net, o, &s, 1, a);
            fd_real *x = fd_new(&a, fd_real, fd_size(&s)),
                *y = fd_new(&a, fd_real, s.points * zoo[which[k]].out);
            double t = .4;
            fd_model m = fd_net_model(&a, net, FD_X0);
            if (x && y && zoo[which[k]].in == zoo[which[k]].out) {
                m.eval(m.self, &s, 1, x, &t, y, a);
                m.vjp(m.self, &s, 1, x, &t, y, x, a);
            }
            if (!step) {
                OK(!st.code, "%s", explain(&st));
                if (!o) break;
                want = state(net, o);
                step = 1 + (st.size - st.low) / 400 * 64 / 64;
                size = 0;
                continue;
            }
            if (!st.code) {
                OK(o && o->step == 1 && state(net, o) == want, "network %d with %d bytes",
                   which[k], (int)size);
                break;
            }
            if (st.code != FD_ENOMEM || size > 4 << 20) { OK(0, "%s", explain(&st)); break; }
        }
    }
}

#ifndef FD_NO_STDIO
/* the same bytes of x and y from one member to another with no padding between them */
#define SPAN(x, y, type, from, to) !memcmp(&(x)->from, &(y)->from, \
    offsetof(type, to) + sizeof (x)->to - offsetof(type, from))

/* every number of two configurations */
static int same_arch(const fd_arch *x, const fd_arch *y)
{
    return SPAN(x, y, fd_arch, kind, embed) && SPAN(x, y, fd_arch, tscale, labels)
        && SPAN(&x->fno, &y->fno, fd_arch_fno, modes, proj)
        && SPAN(&x->fno, &y->fno, fd_arch_fno, pad, stencil)
        && SPAN(&x->u, &y->u, fd_arch_u, levels, mult)
        && SPAN(&x->u, &y->u, fd_arch_u, scale, rank)
        && SPAN(&x->vit, &y->vit, fd_arch_vit, heads, patch)
        && SPAN(&x->points, &y->points, fd_arch_points, waves, pixels)
        && SPAN(&x->inr, &y->inr, fd_arch_inr, mod, latent)
        && SPAN(&x->inr, &y->inr, fd_arch_inr, omega, blind)
        && SPAN(&x->inr, &y->inr, fd_arch_inr, rate, clip)
        && SPAN(&x->field, &y->field, fd_arch_field, kind, pool);
}

/* Network k of the zoo is saved, loaded and goes on as if never stopped. */
static void test_saved(fd_arena mem, int k, const char *path, const char *cut)
{
    fd_arena a = mem;
    fd_space s = zoo_space(&a, &zoo[k]);
    fd_adam how = fd_adam_default(k % 3);
    how.lr = 1.0 / 300; how.lr_end = 1e-5 / 3; how.decay = .1 / 7; how.clip = 1.0 / 3;
    how.ema = .9; how.warmup = 3; how.steps = 12;
    fd_net *net = fd_net_new(&a, &zoo[k], fd_seed(6)), *again;
    fd_opt *o = fd_opt_new(&a, net, &how), *o2;
    if (!o) { OK(0, "%s", explain(a.st)); return; }
    run(net, o, &s, 5, a);
    fd_real extra[3] = { 1, (fd_real)2.385, -3 };
    fd_tensor tensor = { "mean", 1, { 3 }, extra, NULL };
    fd_meta meta = { "data", "four \"words\" of text" };
    fd_tensors more = { 1, 1, &tensor, &meta, 0, NULL };
    done = !fd_net_save(a.st, path, net, o, &more, a);
    OK(done, "%s", explain(a.st));
    fd_tensors rest = fd_net_load(&a, path, &again, &o2);
    if (!again || !o2) { OK(0, "%s", explain(a.st)); a.st->code = 0; return; }
    OK(rest.count == 1 && rest.metas == 1 && fd_tensor_find(&rest, "mean")
       && fd_meta_find(&rest, "data") && !strcmp(fd_meta_find(&rest, "data"), meta.value)
       && rest.tensor[0].x[1] == extra[1], "the caller's own");
    OK(same_arch(&again->arch, &net->arch) && SPAN(&o2->how, &o->how, fd_adam, lr, rule)
       && o2->step == 5, "network %d: configuration", k);
    OK(state(net, o) == state(again, o2), "network %d: weights and moments", k);
    OK(!o->top
       || test_hash(o->top, (size_t)o->count * sizeof *o->top)
              == test_hash(o2->top, (size_t)o->count * sizeof *o->top),
       "network %d: largest moments", k);
    run(net, o, &s, 5, a);
    run(again, o2, &s, 5, a);
    OK(!a.st->code && o->step == 10 && o2->step == 10 && state(net, o) == state(again, o2),
       "network %d: resumed as if never stopped", k);

    fd_net *only;
    rest = fd_net_load(&a, path, &only, NULL);
    OK(only && only->count == net->count && rest.count == 1, "weights only, %s", explain(a.st));
    done = !fd_net_save(a.st, cut, net, NULL, NULL, a);
    OK(done, "%s", explain(a.st));
    fd_net_load(&a, cut, &only, NULL);
    OK(only && !memcmp(only->w, net->w, (size_t)net->count * sizeof *net->w),
       "without optimiser, %s", explain(a.st));
    fd_net_load(&a, cut, &only, &o2);
    OK(only && !o2 && !a.st->code, "no optimiser in the file, %s", explain(a.st));
}

/* The checkpoint f of net, made wrong in the way k. */
static void wrong_checkpoint(int k, fd_tensors f, const fd_net *net, const char *cut, fd_arena a)
{
    fd_net *got;
    fd_opt *og;
    fd_tensors g = f;
    g.tensor = fd_raw(&a, fd_tensor, f.count + 1);
    g.meta = fd_raw(&a, fd_meta, f.metas + 1);
    if (!g.meta) { OK(0, "%s", explain(a.st)); return; }
    memcpy(g.tensor, f.tensor, (size_t)f.count * sizeof *g.tensor);
    memcpy(g.meta, f.meta, (size_t)f.metas * sizeof *g.meta);
    const char *what = "", *name = "";
    const char *const shape = "tensor with a shape that the network does not have";
    int i = 0;
    switch (k) {
    case 0: g.count--; what = "missing tensor"; name = f.tensor[g.count].name; break;
    case 1: g.tensor[3].n[0]--; what = shape; name = g.tensor[3].name; break;
    case 2: g.tensor[g.count++] = (fd_tensor){ "net.other", 1, { 1 }, net->w, NULL };
        what = "unknown tensor"; name = "net.other"; break;
    case 3: g.meta[g.metas++] = (fd_meta){ "arch.other", "3" };
        what = "unknown key in the metadata"; name = "arch.other"; break;
    case 12: g.tensor[3].n[g.tensor[3].nd++] = 1; what = shape; name = g.tensor[3].name; break;
    case 4: case 5: case 6: case 7: case 8: case 9: case 13: case 14: {
        const int j = k < 10 ? k - 4 : k - 7;
        static const char *const key[] = { "arch.width", "arch.width", "adam.lr", "arch.nd",
                                           "adam.step", "net.version", "arch.width", "arch.in" };
        static const char *const value[] = { NULL, "3x", "nan", "99999999999", "-4", "2", "",
                                             "-99999999999" };
        static const char *const text[] = {
            "missing in the metadata", "not a number in the metadata",
            "not a number in the metadata", "not a number in the metadata",
            "step must be 0..2147483646, is", "net.version is not 1: not a checkpoint of ours",
            "missing in the metadata", "not a number in the metadata" };
        while (strcmp(g.meta[i].key, key[j])) i++;
        if (value[j]) g.meta[i].value = value[j];
        else g.meta[i] = g.meta[--g.metas];
        what = text[j];
        name = k == 9 ? cut : k == 8 ? "" : key[j];
        break;
    }
    case 10: while (strcmp(g.meta[i].key, "arch.nd")) i++;
        g.meta[i].value = "5"; what = "nd must be 1..3, is"; break;
    default: while (strcmp(g.meta[i].key, "arch.width")) i++;
        g.meta[i].value = "4"; what = shape; name = "net.lift0.w"; break;
    }
    fd_tensors_save(a.st, cut, &g);
    OK(!a.st->code, "%s", explain(a.st));
    fd_net_load(&a, cut, &got, &og);
    OK(!got && !og && a.st->code == FD_EDATA && !strcmp(a.st->what, what)
       && !strcmp(a.st->name, name), "%d: %s", k, explain(a.st));
    a.st->code = 0;
}

static void cut_short(const char *path, const char *cut, fd_arena a)
{
    fd_net *got;
    fd_opt *og;
    FILE *in = fopen(path, "rb");
    static char bytes[1 << 16];
    size_t len = in ? fread(bytes, 1, sizeof bytes, in) : 0;
    if (in) fclose(in);
    OK(len > 1000, "%d bytes read", (int)len);
    for (size_t n = 0; n < len; n += 1 + len / 97) {
        fd_arena b = a;
        FILE *out = fopen(cut, "wb");
        if (out) { fwrite(bytes, 1, n, out); fclose(out); }
        fd_net_load(&b, cut, &got, &og);
        OK(!got && !og && b.st->code == FD_EDATA, "%d of %d bytes: %s", (int)n, (int)len,
           explain(b.st));
        b.st->code = 0;
    }
}

static void test_checkpoints(fd_arena mem)
{
    const char *path = test_path("net.safetensors"), *cut = test_path("cut.safetensors");
    for (int k = 0; k < ZOO; k++) test_saved(mem, k, path, cut);

    /* files that are wrong */
    fd_arena a = mem;
    fd_net *net = fd_net_new(&a, &zoo[0], fd_seed(6)), *got;
    fd_opt *o = fd_opt_new(&a, net, NULL), *og;
    fd_net_save(a.st, path, net, o, NULL, a);
    fd_tensors f = fd_tensors_load(&a, path);
    OK(f.count == 4 * net->parts && f.metas > 20, "%s", explain(a.st));
    for (int k = 0; k < 15; k++) wrong_checkpoint(k, f, net, cut, a);
    /* a part of a type that is not one of numbers */
    FILE *from = fopen(path, "rb"), *to = fopen(cut, "wb");
    const char *part = "\"net.lift0.w\":{\"dtype\":\"", *at = part;
    for (int c; from && to && (c = getc(from)) != EOF; at = c == *at ? at + 1 : part)
        putc(*at ? c : 'Q', to);
    if (from) fclose(from);
    if (to) fclose(to);
    fd_net_load(&a, cut, &got, &og);
    OK(!got && a.st->code == FD_EDATA && !strcmp(a.st->what, "not numbers")
       && !strcmp(a.st->name, "net.lift0.w"), "%s", explain(a.st));
    a.st->code = 0;
    fd_tensor bad = { "net.mine", 1, { 1 }, net->w, NULL };
    fd_meta badmeta = { "adam.mine", "" };
    fd_tensors more = { 1, 0, &bad, NULL, 0, NULL }, more2 = { 0, 1, NULL, &badmeta, 0, NULL };
    done = fd_net_save(a.st, cut, net, o, &more, a);
    OK(done == FD_EARG && !strcmp(a.st->name, "net.mine"), "%s", explain(a.st));
    a.st->code = 0;
    done = fd_net_save(a.st, cut, net, o, &more2, a);
    OK(done == FD_EARG && !strcmp(a.st->name, "adam.mine"), "%s", explain(a.st));
    a.st->code = 0;
    o->count--;
    done = fd_net_save(a.st, cut, net, o, NULL, a);
    OK(done == FD_ESHAPE && strstr(explain(a.st), "fd_net_save: this optimiser was made for"),
       "%s", explain(a.st));
    a.st->code = 0;
    o->count++;
    OK(!fd_net_save(a.st, cut, NULL, o, NULL, a) && !fd_net_restore(&a, cut, NULL, &og).count
       && !og && !a.st->code, "no network: %s", explain(a.st));
    fd_net_load(&a, test_path("absent.safetensors"), &got, NULL);
    OK(!got && a.st->code == FD_EIO, "%s", explain(a.st));
    a.st->code = 0;

    cut_short(path, cut, a);
    int refused = 0;
    /* loading in every size of arena */
    for (size_t size = 0; size < 1 << 20; size += 4096) {
        fd_status st;
        fd_arena b = fd_arena_over(a.beg, size, &st);
        fd_net_load(&b, path, &got, &og);
        if (!st.code) {
            OK(got && og && !memcmp(got->w, net->w, (size_t)net->count * sizeof *net->w),
               "loaded in %d bytes", (int)size);
            break;
        }
        refused += st.code == FD_ENOMEM && !got && !og;
    }
    OK(refused > 0, "small arenas are refused");
}
/* Checkpoints of the version before fd_arch had edges and a pad for each axis: x, times t and the
 * output y that was, one of each kind of network whose rule has changed since, and an optimiser. */
static void test_was(void)
{
    static const struct { const char *file; int kind, trained; } row[] = {
        { "was_fno", FD_FNO_BLOCK, 1 }, { "was_uvit", FD_UVIT, 0 }, { "was_field", FD_VIT, 0 },
        { "was_gabor", FD_GABOR, 0 }, { "was_points", FD_POINTS, 0 } };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        fd_status st;
        fd_arena a = test_arena(1 << 20, &st);
        char path[100];
        snprintf(path, sizeof path, "tests/data/%s.safetensors", row[k].file);
        fd_net *net, *again;
        fd_opt *o;
        fd_tensors f = fd_net_load(&a, path, &net, &o);
        const fd_tensor *x = fd_tensor_find(&f, "io.x"), *y = fd_tensor_find(&f, "io.y");
        const fd_tensor *t = fd_tensor_find(&f, "io.t");
        if (!net || !x || !y || !t) { OK(0, "%s: %s", path, explain(&st)); continue; }
        const fd_arch *h = &net->arch;
        OK(h->kind == row[k].kind && h->edges == FD_EDGES_PLAIN && !h->fno.stencil
           && !!o == row[k].trained, "%s: configuration", path);
        if (o)
            OK(h->act == FD_SILU && h->fno.acts == 1 && h->fno.pad[0] == .25 && h->fno.pad[1] == .25
               && h->coords == FD_COORD_CLOSED && h->time == FD_TIME_FILM && o->step == 2
               && o->how.lr == 2e-3 && o->how.decay == .01 && o->how.eps == 1e-16
               && o->how.beta1 == .9 && o->how.beta2 == .999 && o->how.ema == .999
               && o->how.clip == 1 && o->how.warmup == 3 && o->how.steps == 9
               && o->how.rule == FD_ADABELIEF,
               "%s: numbers", path);
        fd_net_save(&st, test_path("again.safetensors"), net, o, NULL, a);
        fd_net_load(&a, test_path("again.safetensors"), &again, &o);
        fd_space s = fd_grid(&a, h->nd, x->n + 2, NULL, NULL, h->in);
        int n[3] = { x->n[0], h->in, (int)s.points };
        double time[2] = { (double)t->x[0], (double)t->x[1] };
        fd_tape tape = fd_tape_begin(&a, FD_EVAL);
        fd_var *v = fd_forward(net, &tape, &s, fd_input(&tape, 3, n, x->x), time);
        fd_var *w = fd_forward(again, &tape, &s, fd_input(&tape, 3, n, x->x), time);
        NEAR(v ? test_rel(fd_count(v), v->x, y->x) : 1, 0, 2e-6, "%s: the output that was: %s",
             path, explain(&st));
        OK(v && w && !memcmp(v->x, w->x, (size_t)fd_count(v) * sizeof *v->x), "%s: saved again",
           path);
    }
}

/* bytes of a checkpoint with another value of a key, as somebody may have written them */
static size_t forge(const char *bytes, size_t size, const char *key, const char *value, char *out)
{
    char mark[64];
    snprintf(mark, sizeof mark, "\"%s\":\"", key);
    const char *at = strstr(bytes + 8, mark), *end;
    if (!at) return 0;
    at += strlen(mark);
    end = strchr(at, '"');
    size_t before = (size_t)(at - bytes), after = size - (size_t)(end - bytes), len = 0;
    memcpy(out, bytes, before);
    memcpy(out + before, value, strlen(value));
    memcpy(out + before + strlen(value), end, after);
    for (int i = 7; i >= 0; i--) len = len << 8 | (unsigned char)bytes[i];
    len += strlen(value) - (size_t)(end - at);
    for (int i = 0; i < 8; i++) out[i] = (char)(len >> 8 * i & 255);
    return before + strlen(value) + after;
}

static const char *const forged_values[] = { "-1", "-2147483648", "2147483647", "1000000000",
                                             "-56", "nan", "inf", "1e308", "-1e308" };
enum { VALUES = sizeof forged_values / sizeof *forged_values };

/* Number key of kind k, in a checkpoint of len bytes, as value v: 1: it works, 0: refused, -1: it
 * is not one of a configuration. */
static int forged_number(int k, const char *key, int v, const char *bytes, size_t len,
                         const fd_space *s, const fd_real *x, fd_arena b)
{
    static const char *const named[][2] = {
        { "field_width", "field.width" }, { "modes", "waves" }, { "field_layers", "field.layers" },
        { "inner_clip", "inr.clip" } };
    static char out[1 << 19];
    const char *path = test_path("forged.safetensors");
    const double time = .5;
    fd_status *st = b.st;
    char name[32];
    fd_net *got;
    fd_opt *o;
    if (strncmp(key, "arch.", 5) && strncmp(key, "adam.", 5)) return -1;
    size_t n = forge(bytes, len, key, forged_values[v], out);
    FILE *to = fopen(path, "wb");
    if (to) { fwrite(out, 1, n, to); fclose(to); }
    fd_net_load(&b, path, &got, &o);
    const int works = !st->code;
    if (works) {                           /* then it must do so */
        fd_tape t = fd_tape_begin(&b, FD_GRAD);
        fd_var *y = fd_forward(got, &t, s, fd_input(&t, 3, (int[]){ 1, 1, 8 }, x), &time);
        fd_backward(&t, fd_mse_loss(&t, s, y, x, NULL));
        OK(y && dot(8, y->x, y->x) < 1e30, "kind %d, %s = %s: %s", k, key, forged_values[v],
           explain(st));
    } else {
        snprintf(name, sizeof name, "%s", key + 5);
        char *last = name + strlen(name) - 1;
        if (last > name + 2 && strchr("012345", *last)) *last = 0;
        int said = strstr(explain(st), name) || (v == 0 && strstr(explain(st), "net."));
        for (int j = 0; j < 4; j++)
            said |= !strcmp(name, named[j][0]) && strstr(explain(st), named[j][1]);
        OK(!got && !o && st->code == FD_EDATA && said, "kind %d, %s = %s: %s", k, key,
           forged_values[v], explain(st));
    }
    st->code = FD_OK;
    return works;
}

/* Every number of a configuration, used by this network or not, at values that no configuration
 * has: an error that names it, or a network that works, in an arena of two megabytes. */
static void test_forged(void)
{
#define IO .nd = 1, .in = 1, .out = 1, .width = 4
    static const fd_arch kinds[] = {
        { .kind = FD_FNO_ORIGINAL, IO, .layers = 2, .fno = { .modes = { 2 }, .proj = 3 } },
        { .kind = FD_FNO_BLOCK, IO, .layers = 2, .time = FD_TIME_FILM, .embed = 4,
          .fno = { .modes = { 3 }, .lift = 3, .proj = 3, .mix = 3, .pad = { .25 } } },
        { .kind = FD_VIT, IO, .layers = 1, .grid = { 8 }, .time = FD_TIME_TOKEN, .embed = 4,
          .vit = { .heads = 2, .mlp = 3, .patch = { 2 } } },
        { .kind = FD_UVIT, IO, .layers = 1, .grid = { 8 },
          .vit = { .heads = 2, .mlp = 3, .patch = { 2 }, .pos = FD_POS_LEARNED },
          .field = { .kind = FD_SIREN, .width = 3, .layers = 1 } },
        { .kind = FD_SIREN, IO, .layers = 1,
          .inr = { .mod = FD_MOD_SCALE, .latent = 2, .inner = 1, .rates = 1 } },
        { .kind = FD_GABOR, IO, .layers = 1, .time = FD_TIME_CHANNEL },
        { .kind = FD_UNO, IO, .fno.modes = { 4 },
          .u = { .levels = 2, .mult = { 1, 1 }, .rank = .5 } },
        { .kind = FD_FNO_UNET, IO, .layers = 1, .fno.modes = { 4 },
          .u = { .levels = 2, .mult = { 1, 1 } } },
        { .kind = FD_POINTS, IO, .layers = 1, .vit = { .heads = 2, .mlp = 3 },
          .points = { .waves = { 2 }, .lift = 3, .latent = 2 } },
        { .kind = FD_FNO_SEPARABLE, IO, .layers = 1,
          .fno = { .modes = { 2 }, .groups = 2, .mlp = 3, .proj = 3 } } };
#undef IO
    enum { KINDS = sizeof kinds / sizeof *kinds };
    static char bytes[1 << 19], out[1 << 19];
    const char *path = test_path("forged.safetensors");
    int refused = 0, works = 0;
    fd_status st;
    fd_arena all = test_arena(1 << 21, &st);
    for (int k = 0; k < KINDS; k++) {
        fd_arena a = all, b;
        fd_net *net = fd_net_new(&a, &kinds[k], fd_seed(1));
        fd_space s = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 1);
        fd_real *x = normals(&a, 3, 8);
        fd_net_save(&st, path, net, fd_opt_new(&a, net, NULL), NULL, a);
        fd_tensors f = fd_tensors_load(&a, path);
        FILE *in = fopen(path, "rb");
        size_t len = in ? fread(bytes, 1, sizeof bytes - 64, in) : 0;
        if (in) fclose(in);
        if (!len || st.code) { OK(0, "kind %d: %s", k, explain(&st)); continue; }
        if (kinds[k].kind == FD_FNO_BLOCK) {          /* older files have more than is read */
            fd_net *got;
            size_t n = forge(bytes, len, "arch.heads", "4", out);
            FILE *to = fopen(path, "wb");
            b = a;
            if (to) { fwrite(out, 1, n, to); fclose(to); }
            fd_net_load(&b, path, &got, NULL);
            OK(got && same_arch(&got->arch, &net->arch), "heads that are not read: %s",
               explain(&st));
        }
        for (int i = 0; i < f.metas; i++)
            for (int v = 0; v < VALUES; v++) {
                const int r = forged_number(k, f.meta[i].key, v, bytes, len, &s, x, a);
                works += r == 1, refused += !r;
            }
    }
    OK(works > 20 && refused > 30 * works, "%d work, %d refused", works, refused);
}

#endif

/* 2 modes, or pairs of waves, of each axis in the kinds that have them */
static void two_modes(fd_arch *h)
{
    const int vit = h->kind == FD_VIT || h->kind == FD_UVIT, points = h->kind == FD_POINTS;
    if (vit || h->kind == FD_SIREN || h->kind == FD_GABOR) return;
    for (int i = 0; i < 3; i++) *(points ? &h->points.waves[i] : &h->fno.modes[i]) = 2;
}

/* how many weights there are; with nothing but its kind said a network can be trained on one, two
 * or three axes */
static void test_weights(fd_arena mem)
{
    for (int i = 0; i < 30; i++) {
        fd_arena a = mem;
        fd_arch h = { .kind = i / 3, .nd = 1 + i % 3, .in = 1, .out = 1, .grid = { 32, 32, 32 } };
        ptrdiff_t most = fd_net_count(&h, a);
        OK(most > 0 && most < 20000000, "kind %d, %d axes: %ld weights, %s", i / 3, h.nd,
           (long)most, explain(a.st));
        h.width = 4;
        two_modes(&h);
        ptrdiff_t count = fd_net_count(&h, a);
        fd_net *net = fd_net_new(&a, &h, fd_seed(1));
        OK(net && net->count == count, "kind %d: %ld weights, %s", i / 3, (long)count,
           explain(a.st));
        a.st->code = FD_OK;
    }
    {                                                 /* 3/4 of 10 modes are 8, 0..4 */
        fd_arena a = mem;
        const fd_arch h = { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .width = 2,
                            .fno.modes = { 10 }, .u = { .levels = 2, .mult = { 1, 1 } } };
        fd_net *net = fd_net_new(&a, &h, fd_seed(1));
        for (int i = 0; net && i < net->parts; i++) {
            const fd_part *p = &net->part[i];
            if (strstr(p->name, "spectral"))
                OK(p->n[0] == (strncmp(p->name, "step2", 5) ? 6 : 5), "%s: %d", p->name, p->n[0]);
        }
        OK(net != NULL, "%s", explain(a.st));
    }
}

static void test_defaults(fd_arena mem)
{
    for (int k = FD_FNO_ORIGINAL; k <= FD_FNO_SEPARABLE; k++) {
        fd_arena a = mem;
        fd_arch h = { .kind = k, .nd = 1, .in = 1, .out = 1, .width = 8, .grid = { 12 } };
        two_modes(&h);
        if (k == FD_SIREN) h.inr.inner = 1, h.inr.mod = FD_MOD_SHIFT;
        fd_net *net = fd_net_new(&a, &h, fd_seed(1));
        if (!net) { OK(0, "%s", explain(a.st)); a.st->code = FD_OK; continue; }
        const fd_arch *n = &net->arch;
        int vit = k == FD_VIT || k == FD_UVIT, coords = k == FD_SIREN || k == FD_GABOR,
            points = k == FD_POINTS;
        int hdm = k == FD_FNO_SEPARABLE, unet = k == FD_FNO_UNET, fno = k == FD_FNO_ORIGINAL
            || k == FD_FNO_BLOCK;
        OK(n->layers == (k == FD_UNO ? 1 : k == FD_UVIT ? 5 : 4)
           && n->act == (unet ? FD_SILU : FD_GELU)
           && n->time == FD_TIME_NONE && n->coords == (coords || points ? FD_COORD_OPEN
                                                       : FD_COORD_NONE)
           && n->edges == FD_EDGES_SPACE && n->tscale == 1, "kind %d: what all have", k);
        OK(n->embed == (vit || hdm || unet ? 8 : 32) && n->vit.mlp == (vit || points ? 32 : 0)
           && n->fno.mlp == (hdm ? 32 : 0) && n->vit.heads == (vit || points ? 4 : 0)
           && n->fno.groups == (hdm ? 4 : unet ? 8 : 0) && n->vit.patch[0] == (vit ? 4 : 0)
           && n->fno.acts == (fno ? 3 : 0), "kind %d: sizes", k);
        OK(n->inr.omega == (coords ? 30 : 0) && n->inr.rate == (k == FD_SIREN ? .01 : 0)
           && n->fno.pad[0] == 0 && n->points.lift == (points ? 16 : 0)
           && n->fno.lift == (k == FD_FNO_BLOCK ? 256 : vit || coords || points ? 0 : -1)
           && n->fno.proj == (k == FD_FNO_ORIGINAL ? 128 : k == FD_FNO_BLOCK || hdm ? 256
                              : k == FD_UNO || unet ? -1 : 0),
           "kind %d: the rest, lift %d, proj %d", k, n->fno.lift, n->fno.proj);
    }
}

static void test_field_defaults(fd_arena a)
{
    const fd_arch h = { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .grid = { 6 },
                        .field.kind = FD_SIREN, .time = FD_TIME_TOKEN };
    fd_net *net = fd_net_new(&a, &h, fd_seed(1));
    OK(net && net->arch.field.pool == 1 && net->arch.field.width == 128
       && net->arch.field.layers == 4 && net->arch.inr.mod == FD_MOD_SCALE
       && net->arch.inr.omega == 30 && net->arch.tscale == 1000
       && net->arch.vit.patch[0] == 2, "a field: %s", explain(a.st));
    for (int rule = FD_ADAMW; rule <= FD_ADABELIEF; rule++) {
        fd_adam d = fd_adam_default(rule);
        OK(d.rule == rule && d.lr == 1e-3 && d.lr_end == 0 && d.beta1 == .9 && d.beta2 == .999
           && d.decay == 0 && d.eps == (rule == FD_ADABELIEF ? 1e-16 : 1e-8) && d.clip == 0
           && d.clip_each == 0 && d.ema == .999 && d.warmup == 0 && d.steps == 0, "rule %d", rule);
    }
    fd_opt *o = fd_opt_new(&a, net, NULL);
    OK(o && o->how.rule == FD_ADAMW && o->how.eps == 1e-8, "%s", explain(a.st));
    a.st->code = FD_OK;
}

/* every number of the optimiser */
static void test_optimiser_numbers(fd_arena mem)
{
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 2,
                           .layers = 1, .fno.modes = { 2 } };
    const double wrong[] = { -1, NAN, INFINITY, 1e308 };
    for (int i = 0; i < 9 * 4 + 6; i++) {
        static const char *const names[] = { "lr", "lr_end", "beta1", "beta2", "eps", "decay",
                                             "clip", "clip_each", "ema",
                                             "warmup", "steps", "rule" };
        fd_arena a = mem;
        fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
        fd_adam how = fd_adam_default(FD_ADAMW);
        double *const number[] = { &how.lr, &how.lr_end, &how.beta1, &how.beta2, &how.eps,
                                   &how.decay, &how.clip,
                                   &how.clip_each, &how.ema };
        int *const count[] = { &how.warmup, &how.steps, &how.rule }, j = i < 36 ? i / 4
            : 9 + (i - 36) / 2;
        if (i < 36) *number[i / 4] = wrong[i % 4];
        else *count[(i - 36) / 2] = i % 2 ? -1 : INT_MIN;
        done = !fd_opt_new(&a, net, &how);
        OK(done && a.st->code == FD_EARG && strstr(explain(a.st), names[j]), "%s, %d: %s", names[j],
           i,
           explain(a.st));
        a.st->code = FD_OK;
    }
}

/* 0 is 0: no momentum, no average; an optimiser of another network */
static void test_zero_rates(fd_arena a)
{
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 2,
                           .layers = 1, .fno.modes = { 2 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.beta1 = how.beta2 = how.ema = 0;
    fd_opt *o = fd_opt_new(&a, net, &how);
    fd_real *g = normals(&a, 5, net ? net->count : 0);
    for (int step = 0; step < 2 && o; step++) {
        memcpy(net->g, g, (size_t)net->count * sizeof *g);
        fd_opt_step(o, net, a.st);
        OK(!memcmp(o->avg, net->w, (size_t)net->count * sizeof *g)
           && !memcmp(o->m, g, (size_t)net->count * sizeof *g),
           "the average is the weights, the mean the gradient");
        for (ptrdiff_t i = 0; i < net->count; i++)
            NEAR((double)o->v[i], (double)g[i] * (double)g[i], 4 * EPS * (double)(g[i] * g[i]),
                 "its square");
        for (ptrdiff_t i = 0; i < net->count; i++) g[i] += 1;
    }
    how.lr = 0;
    fd_opt *still = fd_opt_new(&a, net, &how);
    if (!still) { OK(0, "%s", explain(a.st)); return; }
    memcpy(o->m, net->w, (size_t)net->count * sizeof *g);
    memcpy(net->g, g, (size_t)net->count * sizeof *g);
    fd_opt_step(still, net, a.st);
    OK(!memcmp(o->m, net->w, (size_t)net->count * sizeof *g), "a rate of 0 changes nothing");
    still->count--;
    fd_opt_step(still, net, a.st);
    OK(a.st->code == FD_ESHAPE, "%s", explain(a.st));
    a.st->code = FD_OK;
    still->count++;
    still->step = INT_MAX;
    fd_opt_step(still, net, a.st);
    OK(a.st->code == FD_EARG, "%s", explain(a.st));
    a.st->code = FD_OK;
}

/* f(0) + f(x + y) - f(x) - f(y) of a network on 8 points: 0 where it is affine */
static double bent(const fd_net *net, const fd_space *s, fd_real *out, fd_arena a)
{
    fd_real x[4][8] = { { 0 } };
    double off = 0;
    fd_normal(fd_seed(5), 16, x[1]);
    for (int i = 0; i < 8; i++) x[3][i] = x[1][i] + x[2][i];
    if (!net) return NAN;
    forward(net, s, 4, x[0], NULL, out, FD_EVAL, a);
    for (int i = 0; i < 8; i++)
        off = fmax(off, fabs((double)out[i] + (double)out[24 + i] - (double)out[8 + i]
                             - (double)out[16 + i]));
    return off;
}

/* A Fourier operator with linear = 1 has no activation that x passes, those of its channel MLPs
 * among them; with FD_IDENTITY for all of them it is the same network. */
static void test_linear(fd_arena mem)
{
    for (int mix = 0; mix < 4; mix += 3) {
        fd_arena a = mem;
        fd_arch h = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 2,
                      .fno = { .modes = { 5 }, .lift = 3, .proj = 3, .mix = mix } };
        fd_arch line = h, same = h;
        line.fno.linear = 1;
        same.act = FD_IDENTITY;
        fd_space s = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 1);
        fd_real y[3][32];
        OK(bent(fd_net_new(&a, &h, fd_seed(4)), &s, y[0], a) > 1e-3, "mix %d, bent", mix);
        NEAR(bent(fd_net_new(&a, &line, fd_seed(4)), &s, y[1], a), 0, TOL(1e-13, 1e-5),
             "mix %d, linear", mix);
        bent(fd_net_new(&a, &same, fd_seed(4)), &s, y[2], a);
        OK(mix || !memcmp(y[1], y[2], sizeof y[1]), "identities");
    }
}

/* A level so small that less than one mode is left of an axis keeps one; groups of norms divide the
 * width, in the end 1. */
static void test_least(fd_arena a)
{
    const fd_arch uno = { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .width = 2,
                          .fno.modes = { 3 },
                          .u = { .levels = 2, .mult = { 1, 1 }, .scale = { 1, .1 } } };
    const fd_arch unet = { .kind = FD_FNO_UNET, .nd = 1, .in = 1, .out = 1, .width = 3,
                           .layers = 1, .fno.modes = { 3 }, .u.levels = 1 };
    fd_net *net = fd_net_new(&a, &uno, fd_seed(1)), *odd = fd_net_new(&a, &unet, fd_seed(1));
    int seen = 0;
    for (int i = 0; net && i < net->parts; i++)
        if (!strcmp(net->part[i].name, "step2.spectral")) seen = net->part[i].n[0];
    OK(seen == 1, "%d modes", seen);
    OK(odd && odd->arch.fno.groups == 1, "groups: %s", explain(a.st));
}

/* A rate whose steps end before it has grown is the last one; a gradient whose square is no number
 * changes nothing. */
static void test_ends(fd_arena a)
{
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 2,
                           .layers = 1, .fno.modes = { 2 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.warmup = 10, how.steps = 5, how.lr = .1, how.lr_end = .02;
    fd_opt *o = fd_opt_new(&a, net, &how);
    if (!o) { OK(0, "%s", explain(a.st)); return; }
    NEAR(fd_opt_rate(o, 4), .04, 1e-15, "it grows");
    NEAR(fd_opt_rate(o, 12), .02, 1e-15, "and is the last one then");
    const fd_real kept = net->w[0];
    net->g[0] = (fd_real)TOL(1e200, 1e25);
    const double norm = fd_opt_step(o, net, a.st);
    OK(norm > 1e24 && a.st->code == FD_ENAN && net->w[0] == kept && o->step == 0, "%s",
       explain(a.st));
    a.st->code = FD_OK;
}

/* the same without a file; and configurations whose numbers are each in their range, but whose
 * product is not */
#define UVIT .kind = FD_UVIT, .nd = 3, .in = 65536, .out = 65536, .width = 4, .layers = 1
static const struct { fd_arch a; const char *says; } out_of_range[] = {
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = INT_MIN }, "width must be" },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1,
        .field = { .kind = FD_SIREN, .layers = -56 } }, "field.layers must be" },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1,
        .field = { .kind = FD_SIREN, .layers = 1000000000 } }, "field.layers must be" },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .tscale = NAN }, "tscale must be" },
    { { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .inr.omega = INFINITY },
      "inr.omega must be" },
    { { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .fno.pad = { 0, 0, NAN } },
      "fno.pad[2] must be" },
    { { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .fno.pad = { 0, 0, NAN } },
      "FD_SIREN does not use: fno.pad[2]" },
    { { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .points.latent = 3 },
      "FD_SIREN does not use: points.latent" },
    { { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1, .fno.modes = { 3 } },
      "FD_POINTS does not use: fno.modes[0]" },
    { { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1, .vit.pos = FD_POS_NONE },
      "FD_POINTS does not use: vit.pos" },
    { { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .fno.residual = 1 },
      "FD_UNO does not use: fno.residual" },
    { { .kind = FD_FNO_SEPARABLE, .nd = 1, .in = 1, .out = 1, .vit.mlp = 8 },
      "FD_FNO_SEPARABLE does not use: vit.mlp" },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .inr.omega = 3 },
      "without field.kind no network reads: inr.omega" },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .field.kind = FD_SIREN,
        .inr.blind = 1 }, "FD_FNO_BLOCK does not use: inr.blind" },
    { { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .field.width = 8 },
      "FD_UNO does not use: field.width" },
    { { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .u.mult = { 0, 0, 0, 0, 0, -1 } },
      "u.mult[5] must be" },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .vit.qkv_bias = 7 },
      "FD_FNO_BLOCK does not use: vit.qkv_bias" },
    { { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1, .vit.qkv_bias = 7 },
      "vit.qkv_bias must be" },
    { { UVIT, .vit.patch = { 64, 64, 64 }, .grid = { 64, 64, 64 } }, "network too large" },
    { { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1, .width = 65536, .layers = 9999,
        .time = FD_TIME_FILM },
      "network too large" },
    { { .kind = FD_FNO_BLOCK, .nd = 3, .in = 1, .out = 1, .width = 65536,
        .field = { .kind = FD_SIREN, .pool = 64 } },
      "network too large" },
    { { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 65536, .layers = 3,
        .inr = { .mod = FD_MOD_WEIGHTS, .latent = 4 } }, "network too large" },
    { { UVIT, .grid = { 65536, 65536, 65536 } }, "the grid has too many points" } };
#undef UVIT

static void test_ranges(fd_arena mem)
{
    for (size_t i = 0; i < sizeof out_of_range / sizeof *out_of_range; i++) {
        fd_arena a = mem;
        done = fd_net_count(&out_of_range[i].a, a) == 0 && a.st->code != FD_ENOMEM;
        OK(done && strstr(explain(a.st), out_of_range[i].says), "%d: %s", (int)i, explain(a.st));
        a.st->code = FD_OK;
        done = !fd_net_new(&a, &out_of_range[i].a, fd_seed(1));
        OK(done && strstr(explain(a.st), out_of_range[i].says), "%d: %s", (int)i, explain(a.st));
        a.st->code = FD_OK;
    }
    test_weights(mem);
    test_defaults(mem);
    test_field_defaults(mem);
    test_optimiser_numbers(mem);
    test_zero_rates(mem);
    test_linear(mem);
    test_least(mem);
    test_ends(mem);
}

void test_networks(void)
{
    fd_status st;
    fd_arena a = test_arena((size_t)(sizeof(fd_real) * 40) << 20, &st);
    test_spectral_values(a);
    test_spectral_gradients(a);
    test_spectral_facts(a);
    test_cov_and_fit(a);
    test_counts(a);
    test_grids(a);
    test_coarse(a);
    test_gradients(a);
    test_equivariance(a);
    test_overfit(a);
    test_floor(a);
    test_rules(a);
    test_optimiser(a);
    test_bits(a);
    test_starved();
#ifndef FD_NO_STDIO
    test_checkpoints(a);
    test_was();
    test_forged();
#endif
    test_ranges(a);
    OK(!st.code, "%s", explain(&st));
}
