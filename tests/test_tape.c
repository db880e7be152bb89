/* test_tape.c -- the tape and its generic operators: values against plain loops, gradients against
 * central differences, gradients of gradients against differences of gradients. */
#include "test.h"
#ifdef _OPENMP
#include <omp.h>
#endif

typedef long double real;

/* reproducible numbers in (-1, 1) */
static uint64_t tape_seed;
static double rnd(void)
{
    tape_seed = tape_seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(tape_seed >> 11) / 4503599627370496.0 - 1;
}
static void fill(ptrdiff_t n, fd_real *x, double lo, double hi)
{
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (fd_real)(lo + (hi - lo) * (rnd() + 1) / 2);
}

/* ---- Graphs: first and second gradients ------------------------------------------------------ */

#define S(...) (int[]){ __VA_ARGS__ }

static fd_var *g_binary(fd_tape *t, fd_var *const x[], const int o[])
{
    return (o[0] == 0 ? fd_add : o[0] == 1 ? fd_sub : fd_mul)(t, x[0], x[1]);
}
static fd_var *g_affine(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    fd_var *y = fd_affine(t, x[0], 2.385, -0.7);
    return fd_mul(t, y, y);
}
static fd_var *g_map(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_map(t, x[0], o[0]);
}
static fd_var *g_sum(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *y = fd_sum_to(t, x[0], o[0], o + 1);
    return fd_mul(t, y, y);
}
static fd_var *g_spread(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *y = fd_spread(t, x[0], o[0], o + 1);
    return fd_mul(t, y, y);
}
static fd_var *g_matmul(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_matmul(t, o[0], o[1], x[0], x[1]);
}
static fd_var *g_reshape(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *y = fd_reshape(t, x[0], o[0], o + 1);
    return fd_map(t, y, FD_SIN);
}
static fd_var *g_permute(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *y = fd_permute(t, x[0], o);
    return fd_mul(t, y, y);
}
static fd_var *g_concat(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *y = fd_concat(t, x[0], x[1], o[0]);
    return fd_mul(t, y, y);
}
static fd_var *g_slice(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *y = fd_slice(t, x[0], o[0], o[1], o[2]);
    return fd_mul(t, y, y);
}
/* a variable used often: sin(x) exp(x) + x x + x + (x + x) */
static fd_var *g_diamond(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    fd_var *a = fd_mul(t, fd_map(t, x[0], FD_SIN), fd_map(t, x[0], FD_EXP));
    a = fd_add(t, fd_add(t, a, fd_mul(t, x[0], x[0])), x[0]);
    fd_var *b = fd_add(t, x[0], x[0]);
    return fd_add(t, fd_mul(t, a, b), fd_add(t, a, b));
}
/* reshaped and sliced gradients share memory: none may be added to in place */
static fd_var *g_shared(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    fd_var *r = fd_reshape(t, x[0], 1, S(15)), *q = fd_reshape(t, r, 2, S(3, 5));
    fd_var *y = fd_add(t, fd_add(t, q, x[0]), fd_add(t, x[0], q));
    y = fd_mul(t, fd_add(t, y, q), fd_sub(t, x[0], fd_add(t, q, q)));
    return fd_add(t, y, fd_reshape(t, r, 2, S(3, 5)));
}
/* two layers with bias and activation, [b][p][c] */
static fd_var *g_layers(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *h = fd_map(t, fd_add(t, fd_matmul(t, 0, 0, x[0], x[1]), x[2]), o[0]);
    return fd_matmul(t, 0, 1, h, x[1]);
}

static const test_graph graphs[] = {
    { "add", g_binary, 2, { 3, 3 }, { { 3, 5, 2 }, { 3, 5, 2 } }, { 0 }, 0, 0 },
    { "add row", g_binary, 2, { 3, 1 }, { { 3, 5, 2 }, { 2 } }, { 0 }, 0, 0 },
    { "add both", g_binary, 2, { 3, 2 }, { { 3, 1, 2 }, { 5, 1 } }, { 0 }, 0, 0 },
    { "minus", g_binary, 2, { 2, 2 }, { { 3, 5 }, { 3, 5 } }, { 1 }, 0, 0 },
    { "minus column", g_binary, 2, { 2, 3 }, { { 5, 2 }, { 3, 1, 1 } }, { 1 }, 0, 0 },
    { "mul", g_binary, 2, { 2, 2 }, { { 3, 5 }, { 3, 5 } }, { 2 }, 0, 0 },
    { "mul row", g_binary, 2, { 3, 1 }, { { 3, 4, 5 }, { 5 } }, { 2 }, 0, 0 },
    { "mul sample", g_binary, 2, { 3, 3 }, { { 3, 1, 5 }, { 3, 4, 5 } }, { 2 }, 0, 0 },
    { "mul number", g_binary, 2, { 0, 2 }, { { 0 }, { 3, 7 } }, { 2 }, 0, 0 },
    { "affine", g_affine, 1, { 2 }, { { 3, 7 } }, { 0 }, 0, 0 },
    { "sum to row", g_sum, 1, { 3 }, { { 3, 5, 7 } }, { 1, 7 }, 0, 0 },
    { "sum to column", g_sum, 1, { 3 }, { { 3, 5, 7 } }, { 3, 3, 5, 1 }, 0, 0 },
    { "sum to ends", g_sum, 1, { 3 }, { { 3, 5, 7 } }, { 3, 3, 1, 7 }, 0, 0 },
    { "sum to middle", g_sum, 1, { 3 }, { { 3, 5, 7 } }, { 2, 5, 1 }, 0, 0 },
    { "sum to number", g_sum, 1, { 3 }, { { 3, 5, 7 } }, { 0 }, 0, 0 },
    { "sum, fewer axes", g_sum, 1, { 3 }, { { 1, 5, 7 } }, { 2, 5, 7 }, 0, 0 },
    { "sum to itself", g_sum, 1, { 2 }, { { 5, 7 } }, { 2, 5, 7 }, 0, 0 },
    { "spread", g_spread, 1, { 2 }, { { 5, 1 } }, { 3, 3, 5, 4 }, 0, 0 },
    { "spread number", g_spread, 1, { 0 }, { { 0 } }, { 3, 3, 5, 4 }, 0, 0 },
    { "spread, more axes", g_spread, 1, { 2 }, { { 3, 5 } }, { 4, 1, 1, 3, 5 }, 0, 0 },
    { "matmul", g_matmul, 2, { 2, 2 }, { { 3, 5 }, { 5, 4 } }, { 0, 0 }, 0, 0 },
    { "matmul TN", g_matmul, 2, { 2, 2 }, { { 5, 3 }, { 5, 4 } }, { 1, 0 }, 0, 0 },
    { "matmul NT", g_matmul, 2, { 2, 2 }, { { 3, 5 }, { 4, 5 } }, { 0, 1 }, 0, 0 },
    { "matmul TT", g_matmul, 2, { 2, 2 }, { { 5, 3 }, { 4, 5 } }, { 1, 1 }, 0, 0 },
    { "matmul batch", g_matmul, 2, { 3, 3 }, { { 2, 3, 5 }, { 2, 5, 4 } }, { 0, 0 }, 0, 0 },
    { "matmul batch TN", g_matmul, 2, { 3, 3 }, { { 2, 5, 3 }, { 2, 5, 4 } }, { 1, 0 }, 0, 0 },
    { "matmul deep NT", g_matmul, 2, { 4, 4 }, { { 2, 3, 2, 5 }, { 2, 3, 4, 5 } }, { 0, 1 }, 0, 0 },
    { "matmul batch TT", g_matmul, 2, { 3, 3 }, { { 2, 5, 3 }, { 2, 4, 5 } }, { 1, 1 }, 0, 0 },
    { "matmul tall", g_matmul, 2, { 4, 2 }, { { 2, 3, 2, 5 }, { 5, 4 } }, { 0, 0 }, 0, 0 },
    { "matmul tall TN", g_matmul, 2, { 4, 2 }, { { 2, 3, 5, 2 }, { 5, 4 } }, { 1, 0 }, 0, 0 },
    { "matmul tall NT", g_matmul, 2, { 3, 2 }, { { 2, 3, 5 }, { 4, 5 } }, { 0, 1 }, 0, 0 },
    { "matmul tall TT", g_matmul, 2, { 3, 2 }, { { 2, 5, 3 }, { 4, 5 } }, { 1, 1 }, 0, 0 },
    { "reshape", g_reshape, 1, { 3 }, { { 3, 5, 2 } }, { 2, 6, 5 }, 0, 0 },
    { "permute", g_permute, 1, { 3 }, { { 3, 5, 2 } }, { 2, 0, 1 }, 0, 0 },
    { "permute 4", g_permute, 1, { 4 }, { { 3, 5, 2, 4 } }, { 1, 3, 0, 2 }, 0, 0 },
    { "concat", g_concat, 2, { 3, 3 }, { { 3, 5, 2 }, { 3, 4, 2 } }, { 1 }, 0, 0 },
    { "concat last", g_concat, 2, { 2, 2 }, { { 3, 5 }, { 3, 1 } }, { 1 }, 0, 0 },
    { "slice", g_slice, 1, { 3 }, { { 3, 5, 2 } }, { 1, 1, 3 }, 0, 0 },
    { "slice first", g_slice, 1, { 2 }, { { 7, 5 } }, { 0, 6, 1 }, 0, 0 },
    { "diamond", g_diamond, 1, { 1 }, { { 7 } }, { 0 }, 0, 0 },
    { "shared", g_shared, 1, { 2 }, { { 3, 5 } }, { 0 }, 0, 0 },
    { "layers", g_layers, 3, { 3, 2, 1 }, { { 2, 3, 4 }, { 4, 5 }, { 5 } }, { FD_GELU }, 0, 0 },
    { "layers sin", g_layers, 3, { 3, 2, 1 }, { { 2, 3, 4 }, { 4, 5 }, { 5 } }, { FD_SIN }, 0, 0 },
    { "exp", g_map, 1, { 1 }, { { 37 } }, { FD_EXP }, -3, 3 },
    { "log", g_map, 1, { 1 }, { { 37 } }, { FD_LOG }, .3, 4 },
    { "recip", g_map, 1, { 1 }, { { 37 } }, { FD_RECIP }, -3, -.5 },
    { "sqrt", g_map, 1, { 1 }, { { 37 } }, { FD_SQRT }, .3, 4 },
    { "square", g_map, 1, { 1 }, { { 37 } }, { FD_SQUARE }, -3, 3 },
    { "sin", g_map, 1, { 1 }, { { 37 } }, { FD_SIN }, -9, 9 },
    { "cos", g_map, 1, { 1 }, { { 37 } }, { FD_COS }, -9, 9 },
    { "tanh", g_map, 1, { 1 }, { { 37 } }, { FD_TANH }, -3, 3 },
    { "sigmoid", g_map, 1, { 1 }, { { 37 } }, { FD_SIGMOID }, -5, 5 },
    { "silu", g_map, 1, { 1 }, { { 37 } }, { FD_SILU }, -5, 5 },
    { "gelu", g_map, 1, { 1 }, { { 37 } }, { FD_GELU }, -5, 5 },
    { "gelu-tanh", g_map, 1, { 1 }, { { 37 } }, { FD_GELU_TANH }, -5, 5 },
    { "relu", g_map, 1, { 1 }, { { 37 } }, { FD_RELU }, .1, 2 },
    { "relu off", g_map, 1, { 1 }, { { 37 } }, { FD_RELU }, -2, -.1 },
    { "identity", g_map, 1, { 1 }, { { 37 } }, { FD_IDENTITY }, -5, 5 },
};

/* each map to the third derivative, against differences of the second one */
static void test_third(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    enum { N = 24 };
    const double h = TOL(1e-3, 3e-2);
    for (int f = FD_EXP; f < FD_MAPS; f++) {
        int pos = f == FD_LOG || f == FD_RECIP || f == FD_SQRT;
        fd_real x[N], d2[5][N], d3[N];
        for (int s = -2; s <= 2; s++) {
            fd_tape t = fd_tape_begin(&a, FD_GRAD2);
            for (int i = 0; i < N; i++) x[i] = (fd_real)((pos ? .8 : -2.9) + .243 * i + s * h);
            fd_var *v = fd_param(&t, 1, S(N), x, NULL), *y = fd_map(&t, v, f);
            int order = 0;
            memset(d2[s + 2], 0, sizeof *d2);
            if (!s) memset(d3, 0, sizeof d3);
            while (y && y->needs && order < 3) {             /* needs = 0: all further ones are 0 */
                fd_grad(&t, y, NULL, 1, &v, &y);
                order++;
                if (y && order == 2) memcpy(d2[s + 2], y->x, sizeof *d2);
                if (y && order == 3 && !s) memcpy(d3, y->x, sizeof d3);
            }
            fd_tape_end(&t);
        }
        OK(!st.code, "map %d", f);
        for (int i = 0; i < N; i++)
            NEAR((double)d3[i],
                 ((double)d2[3][i] - (double)d2[1][i]) / (1.5 * h)
                 - ((double)d2[4][i] - (double)d2[0][i]) / (12 * h),
                 TOL(1e-9, 5e-3) * fmax(1, fabs((double)d3[i])), "map %d, third, %d", f, i);
    }
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* every way to stretch [3][5][7]: 8 x 8 choices of axes of length 1, missing leading axes of y */
static void test_broadcast(void)
{
    static const int full[3] = { 3, 5, 7 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_real x[105], y[105], dz[105], want[3], dx[105], dy[105];
    fill(105, x, -1, 1);
    fill(105, y, -1, 1);
    fill(105, dz, -1, 1);
    for (int c = 0; c < 8 * 8 * 4; c++) {
        int nx[3], ny[3], nz[3], drop = c >> 6, bad = 0, worst = 0;
        for (int i = 0; i < 3; i++) {
            nx[i] = c >> i & 1 ? 1 : full[i];
            ny[i] = i < drop || c >> (3 + i) & 1 ? 1 : full[i];
            nz[i] = nx[i] > ny[i] ? nx[i] : ny[i];
        }
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *v[2] = { fd_param(&t, 3, nx, x, NULL), fd_param(&t, 3 - drop, ny + drop, y, NULL) };
        fd_var *d[2];
        fd_var *z[3] = { fd_add(&t, v[0], v[1]), fd_sub(&t, v[0], v[1]), fd_mul(&t, v[0], v[1]) };
        for (int k = 0; k < 3; k++) {
            memset(dx, 0, sizeof dx);
            memset(dy, 0, sizeof dy);
            for (int p = 0; p < nz[0] * nz[1] * nz[2] && z[k]; p++) {
                int at[3] = { p / (nz[1] * nz[2]), p / nz[2] % nz[1], p % nz[2] }, i = 0, j = 0;
                for (int q = 0; q < 3; q++) {
                    i = i * nx[q] + (nx[q] > 1 ? at[q] : 0);
                    j = j * ny[q] + (ny[q] > 1 ? at[q] : 0);
                }
                want[0] = x[i] + y[j], want[1] = x[i] - y[j], want[2] = x[i] * y[j];
                bad += z[k]->x[p] != want[k];
                dx[i] += dz[p] * (k == 2 ? y[j] : 1);
                dy[j] += dz[p] * (k == 2 ? x[i] : k == 1 ? (fd_real)-1 : 1);
            }
            fd_grad(&t, z[k], fd_input(&t, 3, nz, dz), 2, v, d);
            if (!d[0] || !d[1]) { worst = 1; continue; }
            worst |= test_maxdiff(fd_count(v[0]), d[0]->x, dx) > 60 * EPS;
            worst |= test_maxdiff(fd_count(v[1]), d[1]->x, dy) > 60 * EPS;
        }
        OK(!st.code && !bad && !worst, "stretch %d: %d wrong values, gradient %d", c, bad, worst);
        fd_tape_end(&t);
    }
}

/* large enough for blocks, parts and threads */
static void test_large(void)
{
    static const struct { int n[3], to[3]; } row[] = {
        { { 1, 1, 200003 }, { 1, 1, 1 } },      { { 1, 90001, 3 }, { 1, 1, 3 } },
        { { 2, 4099, 33 }, { 1, 1, 33 } },      { { 2, 4099, 33 }, { 2, 1, 33 } },
        { { 2, 4099, 33 }, { 2, 4099, 1 } },    { { 2, 4099, 33 }, { 2, 1, 1 } },
        { { 2, 4099, 33 }, { 1, 4099, 1 } },    { { 2, 4099, 33 }, { 1, 1, 1 } },
        { { 3, 50, 2003 }, { 3, 1, 2003 } },
        { { 60001, 1, 5 }, { 1, 1, 5 } },       { { 2, 700, 130 }, { 1, 700, 130 } },
    };
    enum { N = 300600 };
    fd_status st;
    fd_arena a = test_arena(64 << 20, &st);
    fd_real *x = fd_new(&a, fd_real, N);
    long double *want = fd_new(&a, long double, N);
    double *mag = fd_new(&a, double, N);
    fill(N, x, -1, 1.2);
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        const int *n = row[r].n, *to = row[r].to;
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *v = fd_param(&t, 3, n, x, NULL), *s = fd_sum_to(&t, v, 3, to);
        fd_var *y = fd_spread(&t, s, 3, n);
        fd_var *z = fd_add(&t, v, s), *g[1];
        fd_grad(&t, z, NULL, 1, &v, g);
        OK(!st.code && g[0], "large %d", (int)r);
        if (st.code) { fd_tape_end(&t); break; }
        memset(want, 0, N * sizeof *want);
        memset(mag, 0, N * sizeof *mag);
        double err = 0;
        int bad = 0;
        ptrdiff_t count = fd_count(v), p = 0;
        for (int pass = 0; pass < 2; pass++, p = 0)
            for (int i = 0; i < n[0]; i++)
                for (int j = 0; j < n[1]; j++)
                    for (int k = 0; k < n[2]; k++, p++) {
                        ptrdiff_t q = (to[0] > 1 ? i : 0) * (ptrdiff_t)to[1] + (to[1] > 1 ? j : 0);
                        q = q * to[2] + (to[2] > 1 ? k : 0);
                        if (!pass) want[q] += x[p], mag[q] += fabs((double)x[p]);
                        else bad += y->x[p] != s->x[q] || z->x[p] != (fd_real)(x[p] + s->x[q]);
                    }
        for (ptrdiff_t i = 0; i < fd_count(s); i++)
            err = fmax(err, fabs((double)(s->x[i] - want[i])) / mag[i]);
        NEAR(err, 0, 2 * EPS, "sum to %d x %d x %d", to[0], to[1], to[2]);
        OK(!bad, "spread and add of %d: %d wrong", (int)r, bad);
        double ones = (double)(count / fd_count(s)) + 1;         /* d/dx sum(x + S x) = 1 + terms */
        for (ptrdiff_t i = 0; i < count; i++)
            bad += fabs((double)g[0]->x[i] - ones) > 8 * EPS * ones;
        OK(!bad, "gradient of %d", (int)r);
        fd_tape_end(&t);
    }
}

static void test_shapes(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    static fd_real x[100 * 37 * 70];
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fill(100 * 37 * 70, x, -1, 1);
    const int big[4] = { 2, 50, 37, 70 }, small[4] = { 3, 5, 1, 7 };
    for (int c = 0; c < 512; c++) {                          /* all orders of four axes, twice */
        const int *n = c & 256 ? big : small;
        int o[4] = { c & 3, c >> 2 & 3, c >> 4 & 3, c >> 6 & 3 },
            s[4] = { n[1] * n[2] * n[3], n[2] * n[3], n[3], 1 };
        int bad = 0;
        ptrdiff_t p = 0;
        if ((1 << o[0] | 1 << o[1] | 1 << o[2] | 1 << o[3]) != 15) continue;
        if (c & 256 && o[0] > o[1] && o[2] != 0) continue;   /* some of the large ones will do */
        fd_var *y = fd_permute(&t, fd_input(&t, 4, n, x), o);
        if (!y) { OK(0, "permute %d%d%d%d", o[0], o[1], o[2], o[3]); break; }
        for (int i = 0; i < n[o[0]]; i++)
            for (int j = 0; j < n[o[1]]; j++)
                for (int k = 0; k < n[o[2]]; k++)
                    for (int l = 0; l < n[o[3]]; l++, p++)
                        bad += y->x[p] != x[i * s[o[0]] + j * s[o[1]] + k * s[o[2]] + l * s[o[3]]];
        OK(!bad && y->n[1] == n[o[1]], "permute %d%d%d%d: %d wrong", o[0], o[1], o[2], o[3], bad);
        fd_tape_end(&t);
    }
    for (int axis = 0; axis < 3; axis++) {
        const int n[3] = { 3, 5, 7 };
        int m[3] = { 3, 5, 7 }, bad = 0, p = 0;
        m[axis] += 2;
        fd_var *u = fd_input(&t, 3, n, x), *v = fd_input(&t, 3, m, x + 200),
            *z = fd_concat(&t, u, v, axis);
        fd_var *r = fd_slice(&t, z, axis, n[axis], m[axis]), *q = fd_slice(&t, z, axis, 1, 2);
        if (!r || !q) { OK(0, "concat %d", axis); break; }
        OK(!memcmp(r->x, v->x, (size_t)fd_count(v) * sizeof *x), "concat and slice back, axis %d",
           axis);
        for (int i = 0; i < q->n[0]; i++)
            for (int j = 0; j < q->n[1]; j++)
                for (int k = 0; k < q->n[2]; k++)
                    bad += q->x[p++] != x[((i + (axis == 0)) * 5 + j + (axis == 1)) * 7 + k
                                          + (axis == 2)];
        OK(!bad, "slice along %d: %d wrong", axis, bad);
    }
    fd_var *u = fd_input(&t, 2, S(6, 35), x), *v = fd_reshape(&t, u, 3, S(2, 3, 35));
    OK(v && v->x == u->x && v->nd == 3 && v->n[2] == 35, "reshape shares the value");
    OK(fd_count(v) == 210 && fd_count(NULL) == 0, "fd_count");
    OK(fd_sum_to(&t, u, 2, S(6, 35)) == u && fd_spread(&t, u, 2, S(6, 35)) == u,
       "sum and spread to the same shape");
    fd_tape_end(&t);
}

static void test_matmul(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_real x[2 * 3 * 7 * 5], w[2 * 3 * 5 * 9];
    fill(210, x, -1, 1);
    fill(270, w, -1, 1);
    for (int c = 0; c < 8; c++) {
        int ta = c & 1, tb = c >> 1 & 1, shared = c >> 2;
        double err = 0;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *u = fd_input(&t, 4, ta ? S(2, 3, 5, 7) : S(2, 3, 7, 5), x);
        fd_var *v = shared ? fd_input(&t, 2, tb ? S(9, 5) : S(5, 9), w)
            : fd_input(&t, 4, tb ? S(2, 3, 9, 5) : S(2, 3, 5, 9), w);
        fd_var *y = fd_matmul(&t, ta, tb, u, v);
        if (!y || y->nd != 4 || y->n[2] != 7 || y->n[3] != 9) { OK(0, "matmul %d", c); break; }
        for (int b = 0; b < 6; b++)
            for (int i = 0; i < 7; i++)
                for (int j = 0; j < 9; j++) {
                    double s = 0;
                    for (int k = 0; k < 5; k++)
                        s += (double)x[b * 35 + (ta ? k * 7 + i : i * 5 + k)]
                             * (double)w[(shared ? 0 : b * 45) + (tb ? j * 5 + k : k * 9 + j)];
                    err = fmax(err, fabs(s - (double)y->x[(b * 7 + i) * 9 + j]));
                }
        NEAR(err, 0, 10 * EPS, "matmul ta %d tb %d shared %d", ta, tb, shared);
        fd_tape_end(&t);
    }
}

/* ---- Maps ------------------------------------------------------------------------------------ */

#define ISQRT2 0.707106781186547524400844362104849039L
#define GT1 1.59576912160573071175978423973752747L               /* sqrt(8/pi) */
#define GT3 (0.044715L * GT1)

static real map_true(int f, real x)
{
    switch (f) {
    case FD_EXP: return expl(x);
    case FD_LOG: return logl(x);
    case FD_RECIP: return 1 / x;
    case FD_SQRT: return sqrtl(x);
    case FD_SQUARE: return x * x;
    case FD_SIN: return sinl(x);
    case FD_COS: return cosl(x);
    case FD_TANH: return tanhl(x);
    case FD_SIGMOID: return 1 / (1 + expl(-x));
    case FD_SILU: return x / (1 + expl(-x));
    case FD_GELU: return x * erfcl(-x * ISQRT2) / 2;
    case FD_GELU_TANH: return x / (1 + expl(-x * (GT1 + GT3 * x * x)));
    case FD_RELU: return x > 0 ? x : 0;
    default: return x;
    }
}

static real map_true_slope(int f, real x)
{
    real u = f == FD_GELU_TANH ? x * (GT1 + GT3 * x * x) : x, e = expl(-fabsl(u));
    real s = (u < 0 ? e : 1) / (1 + e), ds = e / ((1 + e) * (1 + e));
    switch (f) {
    case FD_EXP: return expl(x);
    case FD_LOG: return 1 / x;
    case FD_RECIP: return -1 / (x * x);
    case FD_SQRT: return 0.5L / sqrtl(x);
    case FD_SQUARE: return 2 * x;
    case FD_SIN: return cosl(x);
    case FD_COS: return -sinl(x);
    case FD_TANH: return 1 / (coshl(x) * coshl(x));
    case FD_SIGMOID: return ds;
    case FD_SILU: return s + x * ds;
    case FD_GELU: return erfcl(-x * ISQRT2) / 2 + x * expl(-x * x / 2) * GT1 / 4;
    case FD_GELU_TANH: return s + x * ds * (GT1 + 3 * GT3 * x * x);
    case FD_RELU: return x > 0;
    default: return 1;
    }
}

/* distance in units of the last place of `want` */
static double ulps(fd_real got, real want)
{
    const real most = TOL(1.797693134862315708e308, 3.4028234663852886e38),
        least = TOL(4.9406564584124654e-324, 1.4012984643e-45);
    int e;
    if (fabsl(want) > most || isinf((double)got))
        return isinf((double)got) && fabsl(want) > most * (1 - (real)EPS)
            && (want > 0) == (got > 0) ? 0 : 1e9;
    if (want != want || got != got) return want != want && got != got ? 0 : 1e9;
    frexpl(want, &e);
    real u = ldexpl((real)EPS, e - 1);
    return (double)(fabsl((real)got - want) / (u > least ? u : least));
}

enum { POINTS = 20011 };
static fd_real map_x[POINTS];

/* y = f(x) and d = f'(x) by an FD_GRAD tape */
static void map_both(fd_arena a, int f, int n, fd_real *x, fd_real *y, fd_real *d)
{
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *v = fd_param(&t, 1, &n, x, NULL), *w = fd_map(&t, v, f), *g;
    fd_grad(&t, w, NULL, 1, &v, &g);
    if (w && g) {
        memcpy(y, w->x, (size_t)n * sizeof *y);
        memcpy(d, g->x, (size_t)n * sizeof *d);
    }
    OK(w && g && !a.st->code, "map %d", f);
}

static void test_accuracy(void)
{
    /* value: ulps; slope: units of eps. In double the tails of the normal distribution lose what
     * rounding x^2/2 costs in exp, hence the range. */
    static const struct { int f; double lo, hi; int log; double ulp, slope; } row[] = {
        { FD_EXP, -110, 90, 0, 1.6, 0 },     { FD_EXP, 1e-12, 1, 1, 1.6, 0 },
        { FD_LOG, 1e-44, 3e38, 1, 1.6, 0 },  { FD_LOG, 0.5, 2, 0, 1.6, 0 },
        { FD_RECIP, 1e-37, 1e37, 1, 1, 0 },  { FD_SQRT, 1e-44, 3e38, 1, 0.51, 0 },
        { FD_SQUARE, -20, 20, 0, 0.51, 0 },
        { FD_SIN, -10, 10, 0, 2, 2 },        { FD_SIN, -12000, 12000, 0, 2.6, 2 },
        { FD_SIN, 1e-30, 3e38, 1, 2.6, 2 },  { FD_COS, 1e-30, 3e38, 1, 2.6, 2 },
        { FD_COS, -10, 10, 0, 2, 2 },        { FD_COS, -12000, 12000, 0, 2.6, 2 },
        { FD_TANH, -12, 12, 0, 2.5, 3 },     { FD_TANH, 1e-37, 100, 1, 2.5, 3 },
        { FD_SIGMOID, -80, 80, 0, 3, 2 },    { FD_SIGMOID, 1e-20, 1, 1, 3, 2 },
        { FD_SILU, -80, 80, 0, 3.5, 4 },     { FD_SILU, 1e-30, 1, 1, 3.5, 4 },
        { FD_GELU, -5, 5, 0, TOL(40, 6), 4 }, { FD_GELU, 1e-30, 100, 1, 6, 4 },
        { FD_GELU, -13, 13, 0, TOL(300, 6), 4 },
        { FD_GELU_TANH, -3, 3, 0, 16, 6 },   { FD_GELU_TANH, 1e-30, 100, 1, 16, 6 },
        { FD_RELU, -5, 5, 0, 0, 0 },         { FD_IDENTITY, -5, 5, 0, 0, 0 },
    };
    fd_status st;
    fd_arena a = test_arena(8 << 20, &st);
    static fd_real y[POINTS], d[POINTS];
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        double worst = 0, slope = 0, at = 0, sat = 0;
        int f = row[r].f;
        for (int i = 0; i < POINTS; i++) {
            double u = (i + (rnd() + 1) / 2) / POINTS;
            map_x[i] = (fd_real)(row[r].log ? row[r].lo * exp(u * log(row[r].hi / row[r].lo))
                                            : row[r].lo + u * (row[r].hi - row[r].lo));
        }
        map_both(a, f, POINTS, map_x, y, d);
        for (int i = 0; i < POINTS; i++) {
            double e = ulps(y[i], map_true(f, (real)map_x[i]));
            real s = map_true_slope(f, (real)map_x[i]);
            double g = row[r].slope > 0 ? fabs((double)((real)d[i] - s)) / EPS : ulps(d[i], s) > 5;
            if (!(e <= worst)) worst = e, at = (double)map_x[i];
            if (!(g <= slope)) slope = g, sat = (double)map_x[i];
        }
        NEAR(worst, 0, row[r].ulp, "map %d, ulps in %g .. %g, at %.9g", f, row[r].lo, row[r].hi,
             at);
        NEAR(slope, 0, row[r].slope, "slope of map %d, eps in %g .. %g, at %.9g", f, row[r].lo,
             row[r].hi, sat);
    }
}

static void test_specials(void)
{
    const fd_real big = (fd_real)TOL(1.797693134862315708e308, 3.4028234663852886e38),
        inf = (fd_real)INFINITY, nan = (fd_real)NAN;
    const fd_real sinbig = (fd_real)sin((double)big), cosbig = (fd_real)cos((double)big);
    const struct { int f; fd_real at[7]; } row[] = {       /* at -inf, -big, -0, 0, big, inf, NaN */
        { FD_EXP, { 0, 0, 1, 1, inf, inf, nan } },
        { FD_LOG, { nan, nan, -inf, -inf, (fd_real)log((double)big), inf, nan } },
        { FD_RECIP, { -(fd_real)0, -1 / big, -inf, inf, 1 / big, 0, nan } },
        { FD_SQRT, { nan, nan, -(fd_real)0, 0, (fd_real)sqrt((double)big), inf, nan } },
        { FD_SQUARE, { inf, inf, 0, 0, inf, inf, nan } },
        { FD_SIN, { nan, -sinbig, -(fd_real)0, 0, sinbig, nan, nan } },
        { FD_COS, { nan, cosbig, 1, 1, cosbig, nan, nan } },
        { FD_TANH, { -1, -1, -(fd_real)0, 0, 1, 1, nan } },
        { FD_SIGMOID, { 0, 0, .5, .5, 1, 1, nan } },
        { FD_SILU, { -(fd_real)0, -(fd_real)0, -(fd_real)0, 0, big, inf, nan } },
        { FD_GELU, { -(fd_real)0, -(fd_real)0, -(fd_real)0, 0, big, inf, nan } },
        { FD_GELU_TANH, { -(fd_real)0, -(fd_real)0, -(fd_real)0, 0, big, inf, nan } },
        { FD_RELU, { 0, 0, 0, 0, big, inf, nan } },
        { FD_IDENTITY, { -inf, -big, -(fd_real)0, 0, big, inf, nan } },
    };
    fd_status st;
    fd_arena a = test_arena(1 << 16, &st);
    fd_real x[7] = { -inf, -big, -(fd_real)0, 0, big, inf, nan }, y[7], d[7];
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        map_both(a, row[r].f, 7, x, y, d);
        for (int i = 0; i < 7; i++) {
            fd_real want = row[r].at[i];
            int sign = want != 0 || row[r].f == FD_RELU || !signbit(y[i]) == !signbit(want);
            int same = want != want ? y[i] != y[i] : y[i] == want && sign;
            OK(same, "map %d at %g: %g, not %g", row[r].f, (double)x[i], (double)y[i],
               (double)want);
        }
        OK(d[6] != d[6] || row[r].f == FD_RELU || row[r].f == FD_IDENTITY,
           "slope of map %d at NaN: %g", row[r].f, (double)d[6]);
        if (row[r].f >= FD_TANH && row[r].f <= FD_RELU)          /* saturated ones */
            for (int i = 0; i < 6; i += i == 1 ? 3 : 1)
                OK(d[i] == (fd_real)(row[r].f >= FD_SILU && i > 1), "slope of map %d at %g: %g",
                   row[r].f, (double)x[i], (double)d[i]);
    }
}

/* an element's bits do not depend on where it lies */
static void test_tails(void)
{
    fd_status st;
    fd_arena a = test_arena(4 << 20, &st);
    static fd_real y[POINTS], d[POINTS], z[200], e[200];
    for (int f = FD_EXP; f < FD_MAPS; f++) {
        int pos = f == FD_LOG || f == FD_SQRT, bad = 0;
        for (int i = 0; i < POINTS; i++)
            map_x[i] = (fd_real)((rnd() + pos) * (i % 50 == 7 ? 30000 : 9));
        map_both(a, f, POINTS, map_x, y, d);
        for (int n = 1; n < 70; n++)
            for (int from = 0; from < 19900; from += 6600) {
                map_both(a, f, n, map_x + from, z, e);
                bad += !!memcmp(z, y + from, (size_t)n * sizeof *z)
                    + !!memcmp(e, d + from, (size_t)n * sizeof *e);
            }
        map_both(a, f, 77, map_x + POINTS - 77, z, e);
        bad += !!memcmp(z, y + POINTS - 77, 77 * sizeof *z)
            + !!memcmp(e, d + POINTS - 77, 77 * sizeof *e);
        OK(!bad, "map %d: %d pieces with other bits", f, bad);
    }
}

/* ---- The tape itself ------------------------------------------------------------------------- */

/* a step of training in small; returns a hash of the loss and all gradients */
static uint64_t tape_chain(fd_arena a, int b, int p, int c, const fd_real *x, fd_real *w,
                           fd_real *g)
{
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *u = fd_input(&t, 3, S(b, p, c), x), *v = fd_param(&t, 2, S(c, c), w, g);
    fd_var *h = fd_map(&t, fd_add(&t, fd_matmul(&t, 0, 0, u, v),
                                  fd_param(&t, 1, S(c), w + c * c, g + c * c)), FD_GELU);
    h = fd_mul(&t, h, fd_sum_to(&t, h, 3, S(b, 1, c)));
    h = fd_add(&t, fd_permute(&t, h, S(0, 2, 1)),
               fd_permute(&t, fd_map(&t, fd_affine(&t, u, .3, .1), FD_SIN), S(0, 2, 1)));
    h = fd_concat(&t, fd_slice(&t, h, 1, 0, c - 1),
                  fd_reshape(&t, fd_spread(&t, u, 4, S(1, b, p, c)), 3, S(b, c, p)), 1);
    h = fd_sum_to(&t, fd_map(&t, fd_sub(&t, h, fd_slice(&t, h, 1, 1, 1)), FD_TANH), 0, NULL);
    fd_backward(&t, h);
    uint64_t hash = h && !a.st->code ? test_hash(h->x, sizeof *h->x) : 0;
    fd_tape_end(&t);
    return hash ^ test_hash(g, (size_t)(c * c + c) * sizeof *g) * 3;
}

static void test_starved(void)
{
    static fd_real x[2 * 5 * 3], w[12], g[12];
    fd_status st;
    fd_arena a = test_arena(1 << 18, &st);
    fill(30, x, -1, 1);
    fill(12, w, -1, 1);
    memset(g, 0, sizeof g);
    uint64_t want = tape_chain(a, 2, 5, 3, x, w, g);
    int ok = 0, runs = 0;
    OK(!st.code, "chain");
    for (size_t size = 0; size < (1 << 18) && !ok; size += 64, runs++) {
        fd_arena b = fd_arena_over(a.beg, size, &st);
        memset(g, 0, sizeof g);
        uint64_t got = tape_chain(b, 2, 5, 3, x, w, g);
        ok = !st.code;
        int bad = st.code ? st.code != FD_ENOMEM : got != want;
        for (int i = 0; st.code && i < 12; i++) bad |= g[i] != 0;
        OK(!bad, "arena of %d bytes: code %d", (int)size, st.code);
    }
    OK(ok && runs > 20, "%d arenas", runs);
}

static void test_threads(void)
{
    enum { B = 3, P = 4099, C = 17 };
    static fd_real x[B * P * C], w[C * C + C], g[2][C * C + C];
    fd_status st;
    fd_arena a = test_arena(96 << 20, &st);
    uint64_t h[2] = { 0, 0 };
    fill(B * P * C, x, -1, 1);
    fill(C * C + C, w, -.3, .3);
    for (int k = 0; k < 2; k++) {
#ifdef _OPENMP
        int threads = omp_get_max_threads();
        omp_set_num_threads(k ? 3 : 1);
#endif
        h[k] = tape_chain(a, B, P, C, x, w, g[k]);
#ifdef _OPENMP
        omp_set_num_threads(threads);
#endif
    }
    OK(!st.code && h[0] == h[1], "one thread and three");
}

/* an expression of variables u [3][5], v [3][4], c [2][3][5] on a new tape, of which nothing comes
 * but the message, and after which the tape makes no variable */
#define WRONG(mode, kind, message, expr) do { \
        a = fd_arena_over(mem, 1 << 16, &st); \
        fd_tape t_ = fd_tape_begin(&a, mode), *t = &t_; \
        fd_var *u = fd_param(t, 2, S(3, 5), x, NULL), *v = fd_param(t, 2, S(3, 4), x, NULL); \
        fd_var *c = fd_param(t, 3, S(2, 3, 5), x, NULL), *d[1] = { u }, *r = (expr); \
        OK(st.code == kind && !strcmp(explain(&st), message), "code %d: %s", st.code, \
           explain(&st)); \
        OK(!r && !fd_add(t, r, u) && !fd_map(t, u, FD_EXP), "no variable after a failure"); \
        (void)v, (void)d, (void)c; \
        fd_tape_end(t); \
        OK(a.beg == mem, "memory back"); \
    } while (0)

/* operands that do not go together */
static void test_errors(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 16, &st);
    fd_real x[64] = { 0 };
    char *mem = a.beg;
    WRONG(FD_GRAD, FD_ESHAPE, "fd_add: axes differ: axis from the end, lengths: 1, 5, 4",
          fd_add(t, u, v));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_sub: axes differ: axis from the end, lengths: 1, 5, 4",
          fd_sub(t, u, v));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_mul: axes differ: axis from the end, lengths: 1, 4, 5",
          fd_mul(t, v, c));
    WRONG(FD_GRAD, FD_EARG, "fd_map: no such map: 15", fd_map(t, u, FD_MAPS));
    WRONG(FD_GRAD, FD_EARG, "fd_map: no such map: 0", fd_map(t, u, 0));
    WRONG(FD_GRAD, FD_ESHAPE,
          "fd_sum_to: axis does not stretch: axis from the end, lengths: 1, 4, 5",
          fd_sum_to(t, u, 1, S(4)));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_sum_to: number of axes: 2, 3", fd_sum_to(t, u, 3, S(1, 3, 5)));
    WRONG(FD_GRAD, FD_ESHAPE,
          "fd_spread: axis does not stretch: axis from the end, lengths: 2, 3, 4",
          fd_spread(t, u, 2, S(4, 5)));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_spread: number of axes: 1, 2", fd_spread(t, u, 1, S(5)));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_matmul: inner sizes differ: 5, 3", fd_matmul(t, 0, 0, u, v));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_matmul: inner sizes differ: 5, 4", fd_matmul(t, 0, 1, u, v));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_matmul: number of axes: 2, 3", fd_matmul(t, 1, 0, u, c));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_matmul: leading axes differ: axis, lengths: 0, 2, 1",
          fd_matmul(t, 1, 0, c, fd_reshape(t, u, 3, S(1, 3, 5))));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_matmul: fewer than two axes: 1, 2",
          fd_matmul(t, 0, 0, fd_reshape(t, u, 1, S(15)), v));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_reshape: number of entries: 15, 16",
          fd_reshape(t, u, 2, S(4, 4)));
    WRONG(FD_GRAD, FD_EARG, "fd_permute: not an order of axes: place, axis: 1, 0",
          fd_permute(t, u, S(0, 0)));
    WRONG(FD_GRAD, FD_EARG, "fd_permute: not an order of axes: place, axis: 0, 2",
          fd_permute(t, u, S(2, 0)));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_concat: other axes differ: axis, lengths: 1, 5, 4",
          fd_concat(t, u, v, 0));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_concat: number of axes: 2, 3", fd_concat(t, u, c, 0));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_concat: no such axis: 2, 2", fd_concat(t, u, v, 2));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_slice: no such axis: -1, 2", fd_slice(t, u, -1, 0, 1));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_slice: outside the axis: from, how many, length: 3, 3, 5",
          fd_slice(t, u, 1, 3, 3));
}

/* variables and derivatives that cannot be */
static void test_wrong_tapes(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 16, &st);
    fd_real x[64] = { 0 };
    char *mem = a.beg;
    WRONG(FD_GRAD, FD_ESHAPE, "fd_tape: axis has no entries: axis, length: 1, 0",
          fd_input(t, 2, S(3, 0), x));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_tape: number of axes out of range: 7",
          fd_input(t, 7, S(1, 1, 1, 1, 1, 1, 1), x));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_spread: too many entries",
          fd_spread(t, u, 6, S(2000000000, 2000000000, 2000000000, 2000000000, 3, 5)));
    WRONG(FD_GRAD, FD_EARG, "fd_grad: variable is a constant: 0",
          (d[0] = fd_input(t, 1, S(3), x), fd_grad(t, u, NULL, 1, d, d), d[0]));
    WRONG(FD_GRAD, FD_ESHAPE, "fd_grad: weights and result differ in shape: entries: 12, 15",
          (fd_grad(t, u, v, 1, d, d), d[0]));
    WRONG(FD_EVAL, FD_EARG, "fd_grad: tape was begun with FD_EVAL",
          (fd_grad(t, u, NULL, 1, d, d), d[0]));
    WRONG(FD_EVAL, FD_EARG, "fd_backward: tape was begun with FD_EVAL", (fd_backward(t, u), NULL));
}
#undef WRONG

/* nothing of nothing, and no word of it */
static void test_nulls(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 16, &st);
    fd_real x[3] = { 0 };
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *d[1];
    fd_grad(&t, NULL, NULL, 0, NULL, NULL);
    fd_backward(&t, NULL);
    fd_grad(&t, fd_param(&t, 1, S(3), x, NULL), NULL, 1, (fd_var *[]){ NULL }, d);
    OK(!fd_affine(&t, NULL, 1, 0) && !fd_map(&t, NULL, FD_EXP) && !fd_sum_to(&t, NULL, 0, NULL)
       && !fd_spread(&t, NULL, 0, NULL) && !fd_matmul(&t, 0, 0, NULL, NULL)
       && !fd_reshape(&t, NULL, 0, NULL) && !fd_permute(&t, NULL, NULL)
       && !fd_concat(&t, NULL, NULL, 0) && !fd_slice(&t, NULL, 0, 0, 1)
       && !fd_input(&t, 0, NULL, NULL) && !d[0] && !st.code, "NULL in, NULL out");
}

/* The gradient for x alone, differentiated for w, which was hidden in the first walk. */
static void test_hidden(fd_real *x, fd_real *w, fd_real *g, fd_real *v, fd_arena a)
{
    fd_tape t;
    fd_var *u, *p, *y, *d[1];
    fd_real was;
    double diff = 0;
    for (int s = -1; s <= 1; s++) {
        const double h = TOL(1e-5, 1e-2);
        was = w[4];
        w[4] = (fd_real)((double)w[4] + s * h);
        t = fd_tape_begin(&a, FD_GRAD2);
        u = fd_param(&t, 2, S(2, 3), x, NULL), p = fd_param(&t, 2, S(3, 2), w, g);
        y = fd_map(&t, fd_matmul(&t, 0, 0, u, p), FD_TANH);
        fd_grad(&t, y, NULL, 1, &u, d);
        OK(d[0] && d[0]->needs, "a gradient that can be differentiated again");
        y = fd_sum_to(&t, fd_mul(&t, d[0], fd_input(&t, 2, S(2, 3), v)), 0, NULL);
        w[4] = was;
        if (!y) return;
        if (s) { diff += s * (double)y->x[0] / (2 * h); fd_tape_end(&t); continue; }
        fd_grad(&t, y, NULL, 1, &p, d);
        diff -= d[0] ? (double)d[0]->x[4] : 0;
        for (int i = 0; i < 6; i++) g[i] = 0;
        fd_backward(&t, y);
        NEAR((double)g[4], d[0] ? (double)d[0]->x[4] : NAN, 20 * EPS,
             "fd_backward through a gradient");
        fd_tape_end(&t);
    }
    NEAR(diff, 0, TOL(1e-8, 1e-3), "mixed second derivative");
}

static void test_rules(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 18, &st);
    fd_real x[6], w[6], g[6], v[6];
    fill(6, x, -1, 1);
    fill(6, w, -1, 1);
    fill(6, v, -1, 1);
    for (int i = 0; i < 6; i++) g[i] = i;
    char *beg = a.beg;
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *u = fd_param(&t, 2, S(2, 3), x, NULL), *p = fd_param(&t, 2, S(2, 3), w, g),
        *other = fd_param(&t, 1, S(4), x, NULL), *d[3];
    fd_var *y = fd_mul(&t, u, fd_map(&t, p, FD_SQUARE));
    OK(y && y->needs && y->op && !fd_input(&t, 1, S(2), x)->needs, "needs");
    fd_grad(&t, y, NULL, 3, (fd_var *[]){ u, other, p }, d);
    OK(d[1] && d[1]->nd == 1 && d[1]->n[0] == 4 && d[1]->x[0] == 0 && d[1]->x[3] == 0,
       "zeros where y does not depend on x");
    OK(d[0] && d[0]->x[5] == w[5] * w[5] && !d[0]->needs,
       "d/du u p^2 = p^2, a constant on this tape");
    OK(d[2] && d[2]->x[4] == x[4] * (w[4] + w[4]), "d/dp");
    OK(u->needs && p->needs && other->needs && y->needs && !u->d && !y->d && !p->d,
       "the tape is as before");
    fd_grad(&t, u, NULL, 1, &u, d);
    OK(d[0] && d[0]->x[2] == 1, "d x/d x = 1");
    fd_grad(&t, u, NULL, 2, (fd_var *[]){ y, u }, d);
    OK(d[0] && d[0]->x[2] == 0 && d[1]->x[1] == 1, "what was made later has no part in it");
    fd_grad(&t, y, u, 2, (fd_var *[]){ y, p }, d);
    OK(d[0] == u && d[1]->x[1] == (x[1] * x[1]) * (w[1] + w[1]), "weights, and a variable between");
    char *now = a.beg;
    fd_var *last = t.last;
    fd_backward(&t, y);
    fd_backward(&t, y);
    OK(a.beg == now && t.last == last, "fd_backward gives its memory back");
    for (int i = 0; i < 6; i++)
        NEAR((double)g[i], i + 4 * (double)x[i] * (double)w[i], 40 * EPS, "added to g, twice");
    fd_tape_end(&t);
    OK(a.beg == beg && !t.last, "fd_tape_end gives memory back");

    t = fd_tape_begin(&a, FD_EVAL);
    u = fd_param(&t, 2, S(2, 3), x, NULL), p = fd_param(&t, 2, S(2, 3), w, g);
    y = fd_mul(&t, u, p);
    OK(y && !y->needs && !y->op && !u->needs && !p->needs, "FD_EVAL records nothing");
    fd_tape_end(&t);

    test_hidden(x, w, g, v, a);
    t = fd_tape_begin(&a, FD_GRAD2);
    /* d/dw of v d(x w)/dx = v: made of w alone */
    u = fd_param(&t, 1, S(6), x, NULL), p = fd_param(&t, 1, S(6), w, NULL);
    d[0] = u;
    fd_grad(&t, fd_mul(&t, u, p), NULL, 1, d, d);                /* dx may be x */
    y = fd_mul(&t, d[0], fd_input(&t, 1, S(6), v));
    OK(y && y->needs, "the gradient depends on w");
    fd_grad(&t, y, NULL, 2, (fd_var *[]){ p, u }, d);
    OK(d[0] && d[0]->x[3] == v[3] && d[1]->x[3] == 0, "d/dw and d/dx of v w");
    fd_tape_end(&t);
    OK(!st.code, "no error");
}

/* fd_backward takes the room of gradients that nothing waits for any more; fd_grad keeps all of its
 * own. Chance graphs of 40 large variables: sums hand gradients on, views share them, early ones
 * wait long. */
static fd_var *reuse_graph(fd_tape *t, fd_var *const p[2], uint64_t seed)
{
    enum { N = 20000, NODES = 40 };
    fd_var *v[NODES + 2] = { p[0], p[1] };
    tape_seed = seed;
    for (int i = 2; i < NODES + 2; i++) {
        fd_var *a = v[i - 1], *b = v[(int)((rnd() + 1) / 2 * i)];
        int kind = (int)((rnd() + 1) / 2 * 6);
        v[i] = kind < 2    ? fd_affine(t, fd_add(t, a, b), 0.5, 0.1)
               : kind == 2 ? fd_mul(t, a, fd_map(t, b, FD_COS))
               : kind == 3 ? fd_add(t, a, a)
               : kind == 4 ? fd_map(t, a, FD_SIN)
                           : fd_add(t, b, fd_reshape(t, fd_reshape(t, a, 2, S(N / 4, 4)), 1, S(N)));
    }
    return v[NODES + 1];
}

static void test_reuse(void)
{
    enum { N = 20000 };
    fd_status st;
    fd_arena a = test_arena((size_t)40 << 20, &st);
    fd_real *x[2], *g[2], *dy = fd_raw(&a, fd_real, N);
    for (int i = 0; i < 2; i++) {
        fill(N, x[i] = fd_raw(&a, fd_real, N), -1, 1);
        g[i] = fd_raw(&a, fd_real, N);
    }
    fill(N, dy, -1, 1);
    for (int k = 0; k < 20; k++) {
        size_t used[2];
        fd_var *p[2], *d[2];
        for (int back = 1; back >= 0; back--) {
            fd_arena b = a;
            st.low = st.size;
            fd_tape t = fd_tape_begin(&b, FD_GRAD);
            for (int i = 0; i < 2; i++) {
                memset(g[i], 0, N * sizeof *g[i] * (size_t)back);
                p[i] = fd_param(&t, 1, S(N), x[i], g[i]);
            }
            fd_var *y = fd_sum_to(&t,
                                  fd_mul(&t, reuse_graph(&t, p, 100 + (uint64_t)k),
                                         fd_input(&t, 1, S(N), dy)),
                                  0, NULL);
            size_t before = (size_t)(b.end - b.beg);
            if (back) fd_backward(&t, y);
            else fd_grad(&t, y, NULL, 2, p, d);
            used[back] = before - st.low;
            OK(!st.code, "graph %d", k);
        }
        if (st.code) return;
        for (int i = 0; i < 2; i++)
            OK(!memcmp(g[i], d[i]->x, N * sizeof *g[i]), "graph %d: the same bits of gradient %d",
               k, i);
        OK(2 * used[1] < used[0], "graph %d: %d of %d bytes", k, (int)used[1], (int)used[0]);
    }
}

/* Axes, entries and products that are out of range on one side or the other. What is only counted
 * is never read: inputs are as long as they say. */
static void test_limits(void)
{
    enum { MOST = 2147483647, HALF = 65536 };
    static const char *const says[] = {
        "fd_tape_begin: no such mode: -1", "fd_tape_begin: no such mode: 3",
        "fd_tape: number of axes out of range: -1",
        "fd_permute: not an order of axes: place, axis: 1, -1",
        "fd_concat: no such axis: -1, 2", "fd_slice: no such axis: 2, 2",
        "fd_slice: outside the axis: from, how many, length: -1, 2, 5",
        "fd_slice: outside the axis: from, how many, length: 1, 0, 5",
        "fd_matmul: fewer than two axes: 2, 1", "fd_concat: too many entries",
        "fd_matmul: too many rows: 4294967296", "fd_matmul: too many products: 4294967296" };
    fd_status st;
    fd_arena mem = test_arena(1 << 16, &st);
    fd_real x[15] = { 0 };
    for (int k = 0; k < 12; k++) {
        if (k > 8 && sizeof(ptrdiff_t) < 8) break;         /* there are not so many numbers */
        fd_arena a = mem;
        fd_tape t = fd_tape_begin(&a, k == 0 ? -1 : k == 1 ? 3 : FD_EVAL);
        OK(t.mode == FD_EVAL, "case %d: mode", k);
        fd_var *u = fd_input(&t, 2, S(3, 5), x), *y = NULL;
        switch (k) {
        case 2: y = fd_input(&t, -1, NULL, x); break;
        case 3: y = fd_permute(&t, u, S(0, -1)); break;
        case 4: y = fd_concat(&t, u, u, -1); break;
        case 5: y = fd_slice(&t, u, 2, 0, 1); break;
        case 6: y = fd_slice(&t, u, 1, -1, 2); break;
        case 7: y = fd_slice(&t, u, 1, 1, 0); break;
        case 8: y = fd_matmul(&t, 0, 0, u, fd_input(&t, 1, S(5), x)); break;
        case 9: y = fd_concat(&t, fd_input(&t, 1, S(MOST / 4), x),
                              fd_input(&t, 1, S(MOST - MOST / 4 + 1), x), 0); break;
        case 10: y = fd_matmul(&t, 0, 0, fd_input(&t, 3, S(HALF, HALF, 1), x),
                               fd_input(&t, 2, S(1, 1), x)); break;
        case 11: u = fd_input(&t, 4, S(HALF, HALF, 1, 1), x), y = fd_matmul(&t, 0, 0, u, u); break;
        default: y = u;
        }
        OK(!y && !strcmp(explain(&st), says[k]), "case %d: %s", k, explain(&st));
        st.code = FD_OK;
    }
}

/* More gradients wait at a time than fd_backward has rooms for: sum_i <c_i, p> has the gradient
 * sum_i c_i, here of whole numbers. In smaller arenas nothing is added. */
static void test_rooms(void)
{
    enum { N = 16384, MANY = 270 };
    static fd_real g[N];
    fd_status st;
    fd_arena mem = test_arena((size_t)N * 2 * (MANY + 50) * sizeof(fd_real), &st);
    fd_real *c = fd_raw(&mem, fd_real, N + MANY), *x = fd_new(&mem, fd_real, N);
    const size_t all = (size_t)(mem.end - mem.beg);
    int starved = 0;
    for (int i = 0; i < N + MANY; i++) c[i] = i * 7 % 11;
    for (int part = 1; part <= 16; part++) {               /* of the memory */
        fd_arena a = { mem.beg, mem.beg + all / 16 * (size_t)part, &st };
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *y = NULL;
        memset(g, 0, sizeof g);
        for (int i = 0; i < MANY; i++) {
            fd_var *p = fd_param(&t, 1, S(N), x, g);
            p = fd_sum_to(&t, fd_mul(&t, p, fd_input(&t, 1, S(N), c + i)), 0, NULL);
            y = i ? fd_add(&t, y, p) : p;
        }
        fd_backward(&t, y);
        int wrong = 0;
        for (int j = 0; j < N; j++) {
            int sum = 0;
            for (int i = 0; i < MANY && !st.code; i++) sum += (i + j) * 7 % 11;
            wrong += g[j] != sum;
        }
        starved += st.code == FD_ENOMEM && y;              /* on the way back */
        OK(!wrong && (st.code == FD_ENOMEM || (part > 8 && !st.code)), "%d/16: %d wrong, %s", part,
           wrong, explain(&st));
        if (part == 16) OK(!st.code && starved > 2, "%d starved, %s", starved, explain(&st));
        st.code = FD_OK;
    }
}

void test_tape(void)
{
    tape_seed = 1;
    test_graphs(sizeof graphs / sizeof *graphs, graphs, TOL(1e-9, 5e-3));
    test_third();
    test_broadcast();
    test_large();
    test_shapes();
    test_matmul();
    test_accuracy();
    test_specials();
    test_tails();
    test_starved();
    test_threads();
    test_errors();
    test_wrong_tapes();
    test_nulls();
    test_limits();
    test_rules();
    test_reuse();
    test_rooms();
}
