/* test_arch.c -- attention and what goes with it, transformers on images, coordinate networks,
 * meta-learning: values against plain loops, gradients and gradients of gradients against
 * differences. */
#include "test.h"

#define S(...) (int[]){ __VA_ARGS__ }

/* ---- Operators: gradients ---- */

static fd_var *a_softmax(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    return fd_softmax(t, x[0]);
}
static fd_var *a_norm(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    return fd_layernorm(t, x[0], x[1], x[2], .01);
}
static fd_var *a_attention(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_attention(t, x[0], x[1], x[2], o[0]);
}
static fd_var *a_over(fd_tape *t, fd_var *const x[], const int o[])
{
    static const fd_real weight[] = { 1, (fd_real).3, 2, (fd_real)1.7, (fd_real).6 };
    return fd_attention_over(t, x[0], x[1], x[2], o[0], weight);
}
static fd_var *a_self(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_attention(t, x[0], x[0], x[0], o[0]);
}
static fd_var *a_patches(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_map(t, fd_patches(t, x[0], o), FD_SQUARE);
}
/* the point that stands where point i of an axis would be that goes on beyond its ends, and what
 * its value is multiplied by; bc < 0: 0 outside */
static double beyond(int bc, int n, int *i)
{
    const int low = *i < 0;
    if (!low && *i < n) return 1;
    if (bc < 0 || (bc == FD_DIRICHLET && (*i == -1 || *i == n))) {
        *i = low ? 0 : n - 1;
        return 0;
    }
    if (bc == FD_PERIODIC) *i += low ? n : -n;
    else if (bc == FD_DIRICHLET) *i = low ? -2 - *i : 2 * n - *i;
    else *i = low ? -1 - *i : 2 * n - 1 - *i;
    return (bc == FD_DIRICHLET || (bc == FD_MIXED && low) ? -1 : 1) * beyond(bc, n, i);
}

static fd_var *a_unpatches(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_map(t, fd_unpatches(t, x[0], o[0], o + 1, o + 1 + o[0]), FD_SQUARE);
}
static fd_var *a_conv(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_conv3(t, x[0], x[1], o[0] < 0 ? NULL : o);
}
/* o: boundaries of the axes, steps in quarters of a point */
static fd_var *a_stencil(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_map(t, fd_stencil(t, x[0], x[1], x[0]->nd - 2, o, (double[]){ o[3] / 4., o[4] / 4.,
        o[5] / 4. }), FD_SQUARE);
}

static fd_var *a_gather(fd_tape *t, fd_var *const x[], const int o[])
{
    static const int index[] = { 3, 0, 1, 1, 3, 2, 0, 4 };
    static const fd_real weight[] = { 1, (fd_real)-.3, 2, (fd_real)1.7, (fd_real).6, 0, (fd_real).9,
                                      4 };
    return fd_map(t, fd_gather(t, x[0], o[0], o[1], index, o[2] ? weight : NULL), FD_SQUARE);
}
static fd_var *a_waves(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    return fd_fourier_features(t, x[0], x[1]);
}
static fd_var *a_gabor(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_gabor(t, x[0], o[0], .7);
}
static fd_var *a_shift(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    return fd_scale_shift(t, x[0], x[1]);
}
static fd_var *a_separable(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_map(t, fd_spectral(t, x[0], x[1], o[0], o + 1, o + 1 + o[0]), FD_SQUARE);
}
static fd_var *a_groups(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_groupnorm(t, x[0], o[0], o[1], x[1], x[2], .01);
}
static fd_var *a_regrid(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_map(t, fd_regrid(t, x[0], o[0], o + 1, o + 1 + o[0]), FD_SQUARE);
}

/* numbers that no gradient is asked of */
static fd_var *a_fixed(fd_tape *t, int nd, const int n[])
{
    ptrdiff_t count = 1;
    for (int i = 0; i < nd; i++) count *= n[i];
    fd_real *x = fd_raw(t->mem, fd_real, count);
    for (ptrdiff_t i = 0; i < count && x; i++) x[i] = (fd_real)cos(1.7 * (double)i);
    return fd_input(t, nd, n, x);
}
static fd_var *a_norm_fixed(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    return fd_map(t, fd_layernorm(t, a_fixed(t, 2, S(3, 5)), x[0], x[1], .01), FD_SQUARE);
}
static fd_var *a_linear(fd_tape *t, fd_var *const x[], const int o[])
{
    (void)o;
    return fd_stencil(t, x[0], x[1], x[0]->nd - 2, NULL, (double[]){ 1, 2 });
}
static fd_var *a_stencil_fixed(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *const in[2] = { a_fixed(t, 4, S(1, 3, 5, 2)), x[0] };
    return fd_map(t, a_linear(t, in, o), FD_SQUARE);
}
static fd_var *a_spectral(fd_tape *t, fd_var *const x[], const int o[])
{
    return fd_spectral(t, x[0], x[1], o[0], o + 1, o + 1 + o[0]);
}
static fd_var *a_spectral_fixed(fd_tape *t, fd_var *const x[], const int o[])
{
    fd_var *const in[2] = { a_fixed(t, 3, S(2, 6, 2)), x[0] };
    return fd_map(t, a_spectral(t, in, o), FD_SQUARE);
}

static const test_graph graphs[] = {
    { "softmax", a_softmax, 1, { 2 }, { { 3, 7 } }, { 0 }, 0, 0 },
    { "softmax of one", a_softmax, 1, { 3 }, { { 2, 3, 1 } }, { 0 }, 0, 0 },
    { "softmax, a long row", a_softmax, 1, { 1 }, { { 37 } }, { 0 }, 0, 0 },
    { "layernorm", a_norm, 3, { 3, 1, 1 }, { { 2, 3, 5 }, { 5 }, { 5 } }, { 0 }, 0, 0 },
    { "layernorm, long rows", a_norm, 3, { 2, 1, 1 }, { { 2, 35 }, { 35 }, { 35 } }, { 0 }, 0, 0 },
    { "attention", a_attention, 3, { 3, 3, 3 }, { { 2, 3, 4 }, { 2, 5, 4 }, { 2, 5, 6 } }, { 2 }, 0,
      0 },
    { "attention, one head", a_attention, 3, { 3, 3, 3 }, { { 1, 3, 3 }, { 1, 2, 3 }, { 1, 2, 1 } },
        { 1 }, 0, 0 },
    { "attention over points", a_over, 3, { 3, 3, 3 }, { { 2, 3, 4 }, { 2, 5, 4 }, { 2, 5, 2 } },
      { 2 }, 0, 0 },
    { "self-attention", a_self, 1, { 3 }, { { 2, 4, 6 } }, { 3 }, 0, 0 },
    { "patches", a_patches, 1, { 4 }, { { 2, 4, 6, 2 } }, { 2, 3 }, 0, 0 },
    { "patches of a line", a_patches, 1, { 3 }, { { 2, 9, 2 } }, { 3 }, 0, 0 },
    { "unpatches", a_unpatches, 1, { 3 }, { { 2, 4, 12 } }, { 2, 4, 6, 2, 3 }, 0, 0 },
    { "conv, 1 axis", a_conv, 2, { 3, 3 }, { { 2, 5, 2 }, { 3, 2, 3 } }, { -1 }, 0, 0 },
    { "conv, periodic", a_conv, 2, { 3, 3 }, { { 2, 5, 2 }, { 3, 2, 3 } }, { FD_PERIODIC }, 0, 0 },
    { "conv, Neumann", a_conv, 2, { 3, 3 }, { { 2, 5, 2 }, { 3, 2, 3 } }, { FD_NEUMANN }, 0, 0 },
    { "conv, Dirichlet and mixed", a_conv, 2, { 4, 4 }, { { 1, 3, 4, 2 }, { 3, 3, 2, 2 } },
      { FD_DIRICHLET, FD_MIXED }, 0, 0 },
    { "conv, one and two points", a_conv, 2, { 5, 5 }, { { 1, 1, 2, 1, 2 }, { 3, 3, 3, 2, 1 } },
      { FD_MIXED, FD_PERIODIC, FD_PERIODIC }, 0, 0 },
    { "conv, 3 axes", a_conv, 2, { 5, 5 }, { { 1, 2, 1, 3, 2 }, { 3, 3, 3, 2, 1 } },
      { FD_MIXED, FD_NEUMANN, FD_NEUMANN }, 0, 0 },
    { "conv, 2 axes", a_conv, 2, { 4, 4 }, { { 2, 3, 4, 2 }, { 3, 3, 2, 2 } }, { -1 }, 0, 0 },
    { "gather", a_gather, 1, { 3 }, { { 2, 5, 3 } }, { 8, 1, 0 }, 0, 0 },
    { "gather, weighted", a_gather, 1, { 3 }, { { 2, 5, 2 } }, { 4, 2, 1 }, 0, 0 },
    { "waves", a_waves, 2, { 3, 2 }, { { 2, 3, 2 }, { 2, 4 } }, { 0 }, 0, 0 },
    { "gabor", a_gabor, 1, { 2 }, { { 3, 5 } }, { 3 }, 0, 0 },
    { "scale-shift", a_shift, 2, { 3, 2 }, { { 2, 5, 3 }, { 2, 6 } }, { 0 }, 0, 0 },
    { "scale-shift of rows", a_shift, 2, { 2, 2 }, { { 6, 2 }, { 3, 4 } }, { 0 }, 0, 0 },
    { "separable, 1 axis", a_separable, 2, { 3, 3 }, { { 2, 6, 2 }, { 4, 2, 2 } }, { 1, 0, 3 }, 0,
      0 },
    { "separable, 2 axes", a_separable, 2, { 4, 4 }, { { 2, 3, 4, 2 }, { 2, 3, 2, 2 } },
      { 2, -1, 0, 0, 2 }, 0, 0 },
    { "group norm", a_groups, 3, { 4, 1, 1 }, { { 2, 3, 2, 4 }, { 4 }, { 4 } }, { 2, 1 }, 0, 0 },
    { "instance norm", a_groups, 3, { 3, 1, 1 }, { { 2, 5, 3 }, { 3 }, { 3 } }, { 3, 1 }, 0, 0 },
    { "group norm about 0", a_groups, 3, { 3, 1, 1 }, { { 2, 3, 4 }, { 4 }, { 4 } }, { 1, 0 }, 0,
      0 },
    { "regrid", a_regrid, 1, { 4 }, { { 2, 3, 4, 2 } }, { 2, FD_PERIODIC, FD_NEUMANN, 5, 2 }, 0,
      0 },
    { "regrid of a line", a_regrid, 1, { 3 }, { { 2, 6, 1 } }, { 1, FD_MIXED, 5 }, 0, 0 },
    { "conv, thin", a_conv, 2, { 4, 4 }, { { 1, 1, 4, 1 }, { 3, 3, 1, 2 } }, { -1 }, 0, 0 },
    { "stencil, periodic", a_stencil, 2, { 4, 3 }, { { 2, 3, 5, 2 }, { 3, 3, 2 } }, { FD_PERIODIC,
        FD_PERIODIC, 0, 4, 4 }, 0, 0 },
    { "stencil, Neumann", a_stencil, 2, { 4, 3 }, { { 2, 3, 9, 2 }, { 3, 3, 2 } }, { FD_NEUMANN,
        FD_NEUMANN, 0, 4, 8 }, 0, 0 },
    { "stencil, odd ends", a_stencil, 2, { 4, 3 }, { { 1, 4, 6, 2 }, { 3, 5, 2 } }, { FD_DIRICHLET,
        FD_MIXED, 0, 4, 4 }, 0, 0 },
    { "stencil wider than its axis", a_stencil, 2, { 3, 2 }, { { 2, 3, 2 }, { 5, 2 } }, { FD_MIXED,
        0, 0, 28 }, 0, 0 },
    { "stencil, 3 axes", a_stencil, 2, { 5, 4 }, { { 1, 2, 3, 4, 2 }, { 3, 1, 3, 2 } },
        { FD_NEUMANN, FD_PERIODIC, FD_DIRICHLET, 4, 4, 8 }, 0, 0 },
    { "stencil between points", a_stencil, 2, { 4, 3 }, { { 2, 3, 4, 2 }, { 3, 3, 2 } },
        { FD_PERIODIC, FD_DIRICHLET, 0, 6, 3 }, 0, 0 },
    { "conv, 3 axes, zeros", a_conv, 2, { 5, 5 }, { { 1, 2, 2, 3, 1 }, { 3, 3, 3, 1, 1 } }, { -1 },
        0, 0 },
    { "stencil, backwards", a_stencil, 2, { 4, 3 }, { { 1, 3, 7, 2 }, { 3, 3, 2 } }, { FD_NEUMANN,
        FD_MIXED, 0, -4, -8 }, 0, 0 },
    { "stencil, many rows", a_stencil, 2, { 5, 4 }, { { 1, 3, 3, 3, 1 }, { 5, 5, 3, 1 } },
        { FD_PERIODIC, FD_NEUMANN, FD_DIRICHLET, 4, 4, 4 }, 0, 0 },
    { "stencil, one tap along rows", a_stencil, 2, { 4, 3 }, { { 2, 3, 5, 2 }, { 3, 1, 2 } },
        { FD_NEUMANN, FD_PERIODIC, 0, 4, 4 }, 0, 0 },
    { "stencil, linear", a_linear, 2, { 4, 3 }, { { 2, 3, 5, 2 }, { 3, 3, 2 } }, { 0 }, 0, 0 },
    { "stencil of a constant", a_stencil_fixed, 1, { 3 }, { { 3, 3, 2 } }, { 0 }, 0, 0 },
    { "layernorm of a constant", a_norm_fixed, 2, { 1, 1 }, { { 5 }, { 5 } }, { 0 }, 0, 0 },
    { "spectral, linear", a_spectral, 2, { 3, 4 }, { { 2, 6, 2 }, { 4, 2, 1, 2 } }, { 1, 0, 3 }, 0,
        0 },
    { "spectral of a constant", a_spectral_fixed, 1, { 4 }, { { 4, 2, 1, 2 } }, { 1, 0, 3 }, 0, 0 }
};

/* ---- Operators: values ---- */

static void test_rows(fd_arena a)
{
    static const int width[] = { 1, 2, 16, 17, 300, 1000 };
    for (int k = 0; k < 6; k++) {
        int c = width[k], rows = 7;
        fd_arena b = a;
        fd_real *x = normals(&b, 3, rows * c), *gain = normals(&b, 4, c), *bias = normals(&b, 5, c);
        for (int i = 0; i < rows * c; i++) x[i] = 3 * x[i] + (fd_real)2.385;
        x[0] = 80;
        fd_tape t = fd_tape_begin(&b, FD_EVAL);
        fd_var *in = fd_input(&t, 2, S(rows, c), x), *p = fd_softmax(&t, in);
        fd_var *y = fd_layernorm(&t, in, fd_input(&t, 1, &c, gain), fd_input(&t, 1, &c, bias), .3);
        if (!p || !y) { OK(0, "%s", explain(b.st)); return; }
        double worst = 0, norm = 0;
        for (int r = 0; r < rows; r++) {
            double top = -1e9, sum = 0, mean = 0, var = 0;
            for (int j = 0; j < c; j++) top = fmax(top, (double)x[r * c + j]);
            for (int j = 0; j < c; j++) sum += exp((double)x[r * c + j] - top);
            for (int j = 0; j < c; j++) mean += (double)x[r * c + j] / c;
            for (int j = 0; j < c; j++) var += pow((double)x[r * c + j] - mean, 2) / c;
            for (int j = 0; j < c; j++) {
                double v = (double)x[r * c + j], q = exp(v - top) / sum;
                worst = fmax(worst, fabs((double)p->x[r * c + j] - q));
                double z = (v - mean) / sqrt(var + .3) * (double)gain[j] + (double)bias[j];
                norm = fmax(norm, fabs((double)y->x[r * c + j] - z));
            }
        }
        NEAR(worst, 0, TOL(1e-14, 1e-6), "softmax of %d", c);
        NEAR(norm, 0, TOL(1e-13, 1e-5), "layernorm of %d", c);
    }
}

typedef struct { int b, n, m, d, e, heads; } sizes;

/* want [b][n][e], head by head; p [m]: room. */
static void attention_by_hand(const sizes *r, const fd_real *q, const fd_real *kk, const fd_real *v,
                              const fd_real *weight, double *p, fd_real *want)
{
    const int B = r->b, n = r->n, m = r->m, d = r->d, e = r->e, H = r->heads;
    for (int x = 0; x < B * H * n; x++) {
        const int b = x / n / H, h = x / n % H, i = x % n;
        double sum = 0;
        for (int j = 0; j < m; j++) {
            double s = 0;
            for (int l = h * d / H; l < (h + 1) * d / H; l++)
                s += (double)q[(b * n + i) * d + l] * (double)kk[(b * m + j) * d + l];
            sum += p[j] = exp(s / sqrt(d / H)) * (weight ? (double)weight[j] : 1);
        }
        for (int l = h * e / H; l < (h + 1) * e / H; l++) {
            double s = 0;
            for (int j = 0; j < m; j++) s += p[j] / sum * (double)v[(b * m + j) * e + l];
            want[(b * n + i) * e + l] = (fd_real)s;
        }
    }
}

/* Gradients have the same bits on one thread and on two. */
static void attention_threads(const sizes *r, int k, fd_real *q, fd_real *kk, fd_real *v,
                              fd_arena a)
{
    const int B = r->b, n = r->n, m = r->m, d = r->d, e = r->e, H = r->heads;
    uint64_t hash[2] = { 0 };
    int most = test_most_threads();
    for (int i = 0; i < 2; i++) {
        fd_arena b = a;
        fd_tape t = fd_tape_begin(&b, FD_GRAD);
        fd_var *x[3] = { fd_param(&t, 3, S(B, n, d), q, NULL),
                         fd_param(&t, 3, S(B, m, d), kk, NULL),
                         fd_param(&t, 3, S(B, m, e), v, NULL) }, *g[3];
        test_use_threads(i + 1);
        fd_grad(&t, fd_map(&t, fd_attention(&t, x[0], x[1], x[2], H), FD_SQUARE), NULL, 3, x, g);
        for (int j = 0; j < 3 && g[j]; j++)
            hash[i] ^= (uint64_t)(j + 1)
                     * test_hash(g[j]->x, (size_t)fd_count(g[j]) * sizeof(fd_real));
    }
    test_use_threads(most);
    OK(hash[0] && hash[0] == hash[1], "attention %d: one thread and two", k);
}

/* Fused gradients are those of the composition, over several blocks of rows. */
static void attention_fused(const sizes *r, int k, fd_real *q, fd_real *kk, fd_real *v,
                            fd_arena a)
{
    const int B = r->b, n = r->n, m = r->m, d = r->d, e = r->e, H = r->heads;
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *g[2][3];
    for (int mode = FD_GRAD; mode <= FD_GRAD2; mode++) {
        t.mode = mode;
        fd_var *x[3] = { fd_param(&t, 3, S(B, n, d), q, NULL),
                         fd_param(&t, 3, S(B, m, d), kk, NULL),
                         fd_param(&t, 3, S(B, m, e), v, NULL) };
        fd_var *y = fd_map(&t, fd_attention(&t, x[0], x[1], x[2], H), FD_SQUARE);
        fd_grad(&t, y, NULL, 3, x, g[mode - FD_GRAD]);
    }
    for (int i = 0; i < 3; i++) {
        if (!g[0][i] || !g[1][i]) { OK(0, "%s", explain(a.st)); return; }
        double size = 1;
        for (int j = 0; j < fd_count(g[0][i]); j++)
            size = fmax(size, fabs((double)g[1][i]->x[j]));
        double diff = test_maxdiff(fd_count(g[0][i]), g[0][i]->x, g[1][i]->x);
        NEAR(diff, 0, TOL(1e-13, 1e-5) * size, "attention %d: gradient of input %d", k, i);
    }
}

/* Without positions tokens are a set: permuted tokens, permuted results. */
static void attention_permuted(fd_arena mem)
{
    fd_arena a = mem;
    enum { N = 9, D = 6 };
    int order[N];
    fd_perm(fd_seed(5), N, order);
    fd_real *x = normals(&a, 7, N * D), *xp = fd_new(&a, fd_real, N * D), worst = 0;
    for (int i = 0; i < N; i++) memcpy(xp + i * D, x + order[i] * D, D * sizeof *x);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *u = fd_input(&t, 3, S(1, N, D), x), *v = fd_input(&t, 3, S(1, N, D), xp);
    u = fd_attention(&t, u, u, u, 2);
    v = fd_attention(&t, v, v, v, 2);
    if (!u || !v) { OK(0, "%s", explain(a.st)); return; }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++) {
            double diff = fabs((double)(v->x[i * D + j] - u->x[order[i] * D + j]));
            if (diff > (double)worst) worst = (fd_real)diff;
        }
    NEAR((double)worst, 0, TOL(1e-15, 1e-6), "permutation equivariance");
}

static void test_attention(fd_arena mem)
{
    static const sizes row[] = {
        { 1, 1, 1, 1, 1, 1 }, { 2, 5, 7, 6, 4, 2 }, { 1, 17, 17, 24, 24, 3 },
        { 2, 300, 290, 8, 16, 4 }, { 1, 33, 5000, 2, 2, 1 }, { 1, 150, 600, 2, 2, 1 }
    };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        fd_arena a = mem;
        int B = row[k].b, n = row[k].n, m = row[k].m, d = row[k].d, e = row[k].e, H = row[k].heads;
        fd_real *q = normals(&a, 1, B * n * d), *kk = normals(&a, 2, B * m * d);
        fd_real *v = normals(&a, 3, B * m * e), *want = fd_new(&a, fd_real, B * n * e);
        fd_real *weight = normals(&a, 4, m);
        double *p = fd_new(&a, double, m);
        for (int j = 0; j < m; j++) weight[j] = (fd_real)fabs((double)weight[j]) + (fd_real).1;
        for (int over = 1; over >= 0; over--) {
            attention_by_hand(&row[k], q, kk, v, over ? weight : NULL, p, want);
            for (int mode = 0; mode < 3; mode++) {
                fd_arena b = a;
                fd_tape t = fd_tape_begin(&b, mode);
                fd_var *x[3] = { fd_param(&t, 3, S(B, n, d), q, NULL),
                                 fd_param(&t, 3, S(B, m, d), kk, NULL),
                                 fd_param(&t, 3, S(B, m, e), v, NULL) };
                fd_var *y = over ? fd_attention_over(&t, x[0], x[1], x[2], H, weight)
                                 : fd_attention(&t, x[0], x[1], x[2], H);
                if (!y) { OK(0, "%s", explain(b.st)); return; }
                NEAR(test_rel(B * n * e, y->x, want), 0, TOL(1e-13, 3e-6),
                     "attention %d, mode %d, weights %d", (int)k, mode, over);
            }
        }
        attention_threads(&row[k], (int)k, q, kk, v, a);
        attention_fused(&row[k], (int)k, q, kk, v, a);
    }
    attention_permuted(mem);
}

static void test_patches(fd_arena mem)
{
    enum { B = 2, N = 6, M = 8, C = 3, P = 3, Q = 2, T = N / P * (M / Q), D = P * Q * C };
    fd_arena a = mem;
    fd_real *x = normals(&a, 1, B * N * M * C), *z = normals(&a, 2, B * T * D);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *u = fd_patches(&t, fd_input(&t, 4, S(B, N, M, C), x), S(P, Q));
    fd_var *back = fd_unpatches(&t, u, 2, S(N, M), S(P, Q));
    fd_var *w = fd_unpatches(&t, fd_input(&t, 3, S(B, T, D), z), 2, S(N, M), S(P, Q));
    if (!u || !back || !w) { OK(0, "%s", explain(a.st)); return; }
    int wrong = 0;
    double s = 0, r = 0;
    for (int b = 0; b < B; b++) for (int i = 0; i < N; i++) for (int j = 0; j < M; j++)
        for (int c = 0; c < C; c++) {
            int token = i / P * (M / Q) + j / Q, at = (i % P * Q + j % Q) * C + c;
            wrong += u->x[(b * T + token) * D + at] != x[((b * N + i) * M + j) * C + c];
        }
    OK(u->nd == 3 && u->n[1] == T && u->n[2] == D && !wrong, "%d entries out of place", wrong);
    OK(!memcmp(back->x, x, sizeof(fd_real) * B * N * M * C), "there and back");
    for (int i = 0; i < B * T * D; i++) {
        s += (double)u->x[i] * (double)z[i];
        r += (double)w->x[i] * (double)x[i];
    }
    NEAR(r, s, 1e-12, "<P x, z> = <x, P' z>");
    /* three axes */
    u = fd_patches(&t, fd_input(&t, 5, S(2, 2, 4, 6, 3), x), S(2, 2, 3));
    back = fd_unpatches(&t, u, 3, S(2, 4, 6), S(2, 2, 3));
    OK(back && u->n[1] == 4 && u->n[2] == 36 && !memcmp(back->x, x, sizeof(fd_real) * 288)
       && u->x[36] == x[3 * 3], "three axes");

    /* conv: every tap by hand, with every pair of boundaries and with zeros */
    fd_real *k = normals(&a, 3, 9 * C * 2);
    for (int e = -1; e < 16; e++) {
        int bc[2] = { e < 0 ? -1 : e / 4, e < 0 ? -1 : e % 4 };
        fd_var *y = fd_conv3(&t, fd_input(&t, 4, S(B, N, M, C), x),
                             fd_input(&t, 4, S(3, 3, C, 2), k),
                             e < 0 ? NULL : bc);
        if (!y) { OK(0, "%s", explain(a.st)); return; }
        double worst = 0;
        for (int b = 0; b < B; b++) for (int i = 0; i < N; i++) for (int j = 0; j < M; j++)
            for (int o = 0; o < 2; o++) {
                double sum = 0;
                for (int p = 0; p < 3; p++) for (int q = 0; q < 3; q++)
                    for (int c = 0; c < C; c++) {
                    int row = i + p - 1, col = j + q - 1;
                    double sign = beyond(bc[0], N, &row) * beyond(bc[1], M, &col);
                    sum += sign * (double)x[((b * N + row) * M + col) * C + c]
                         * (double)k[((p * 3 + q) * C + c) * 2 + o];
                }
                worst = fmax(worst, fabs(sum - (double)y->x[((b * N + i) * M + j) * 2 + o]));
            }
        NEAR(worst, 0, TOL(1e-14, 1e-5), "conv3, boundaries %d", e);
    }
}

/* The kernel of -h^2 times the second difference on every axis: modes of section 6 are its
 * eigenfunctions, whatever the boundary, with 2 - 2 cos of the angle from one point to the next. So
 * a mode goes on beyond the ends as it should; and on a periodic grid any kernel commutes with
 * shifts. */
static void test_conv_edges(fd_arena mem)
{
    enum { N = 6, M = 5 };
    static const fd_real line[3] = { -1, 2, -1 };
    fd_real k[9] = { 0 };
    for (int i = 0; i < 9; i++) k[i] = (i % 3 == 1 ? line[i / 3] : 0) + (i / 3 == 1 ? line[i % 3]
        : 0);
    const double pi = acos(-1);
    for (int e = 0; e < 16; e++) {
        fd_arena a = mem;
        int bc[2] = { e / 4, e % 4 }, n[2] = { N, M };
        fd_space s = fd_grid(&a, 2, n, NULL, bc, 1);
        fd_real *u = fd_new(&a, fd_real, s.modes), *x = fd_new(&a, fd_real, s.points);
        for (int m = 0; m < s.modes && x; m++) {
            double mu = 0;
            int j[3];
            fd_mode(&s, m, j);
            for (int i = 0; i < 2; i++)
                mu += 2 - 2 * cos(bc[i] == FD_PERIODIC ? 2 * pi * ((j[i] + 1) / 2) / n[i]
                                : bc[i] == FD_NEUMANN ? pi * j[i] / n[i]
                                : bc[i] == FD_DIRICHLET ? pi * (j[i] + 1) / (n[i] + 1)
                                    : pi * (j[i] + .5) / n[i]);
            memset(u, 0, (size_t)s.modes * sizeof *u);
            u[m] = 1;
            fd_from_modes(&s, 1, u, x, a);
            fd_arena b = a;
            fd_tape t = fd_tape_begin(&b, FD_EVAL);
            fd_var *y = fd_conv3(&t, fd_input(&t, 4, S(1, N, M, 1), x),
                                 fd_input(&t, 4, S(3, 3, 1, 1), k), bc);
            if (!y) { OK(0, "%s", explain(a.st)); return; }
            for (int i = 0; i < N * M; i++) x[i] *= (fd_real)mu;
            NEAR(test_maxdiff(N * M, y->x, x), 0, TOL(1e-13, 2e-5), "boundaries %d, mode %d", e, m);
        }
    }
    fd_arena a = mem;
    fd_real *x = normals(&a, 1, N * M), *w = normals(&a, 2, 9), moved[N * M];
    for (int i = 0; i < N * M; i++) moved[(i / M + 2) % N * M + (i % M + 3) % M] = x[i];
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *f = fd_input(&t, 4, S(3, 3, 1, 1), w);
    fd_var *y = fd_conv3(&t, fd_input(&t, 4, S(1, N, M, 1), x), f, S(0, 0));
    fd_var *z = fd_conv3(&t, fd_input(&t, 4, S(1, N, M, 1), moved), f, S(0, 0));
    int wrong = !y || !z;
    for (int i = 0; i < N * M && !wrong; i++)
        wrong += y->x[i] != z->x[(i / M + 2) % N * M + (i % M + 3) % M];
    OK(!wrong, "a shift of a periodic grid");
}

/* What cannot be attended to, normed, cut, convolved and gathered. */
static const char *const wrong_says[] = {
    "fd_layernorm: gain and bias must be as long as the last axis: lengths: 1, 1, 1",
    "fd_groupnorm: gain and bias must be as long as the last axis: lengths: 1, 1, 1",
    "fd_groupnorm: gain and bias must be as long as the last axis: lengths: 6, 6, 5",
    "fd_groupnorm: groups do not divide the channels: 0, 6",
    "fd_attention: wants q, k, v [b][n][d]: axes: 2, 3, 3",
    "fd_attention: wants q, k, v [b][n][d]: axes: 3, 3, 2",
    "fd_attention: q, k, v differ: samples, keys, values: 2, 4, 4",
    "fd_attention: q, k, v differ: samples, keys, values: 2, 4, 4",
    "fd_attention: heads do not divide the width: 0, 6, 6",
    "fd_attention: heads do not divide the width: 3, 6, 4",
    "fd_attention_over: wants q, k [b][n][d], d a multiple of heads: axes, heads: 2, 3, 1",
    "fd_attention_over: wants q, k [b][n][d], d a multiple of heads: axes, heads: 3, 3, 0",
    "fd_attention_over: wants q, k [b][n][d], d a multiple of heads: axes, heads: 3, 3, 4",
    "fd_attention_over: wants q, k [b][n][d], d a multiple of heads: axes, heads: 3, 3, 3",
    "fd_patches: patch does not divide the axis: axis, lengths: 0, 0, 4",
    "fd_unpatches: wants [b][tokens][patch * ch]: axes, tokens, patch: 3, 4, 4",
    "fd_unpatches: wants [b][tokens][patch * ch]: axes, tokens, patch: 2, 4, 1",
    "fd_patches: wants [b][n..][ch]: axes: 6", "fd_unpatches: number of axes out of range: 0",
    "fd_conv3: wants x [b][n..][ci], w [3]..[ci][co]: axes: 2, 2",
    "fd_conv3: wants x [b][n..][ci], w [3]..[ci][co]: axes: 6, 6",
    "fd_gather: wants x [b][n][c], m and k > 0: axes, m, k: 3, 0, 1",
    "fd_gather: wants x [b][n][c], m and k > 0: axes, m, k: 3, 1, 0",
    "fd_gather: outside the points: entry, index, points: 0, -1, 4",
    "fd_scale_shift: wants x [b]..[c], scale and shift [b][2 c]: c, b, 2 c: 1, 4, 2",
    "fd_scale_shift: wants x [b]..[c], scale and shift [b][2 c]: c, b, 2 c: 6, 2, 0",
    "fd_scale_shift: wants x [b]..[c], scale and shift [b][2 c]: c, b, 2 c: 6, 4, 12",
    "fd_regrid: wants [b][n..][ch]: axes, of x: 0, 3",
    "fd_regrid: wants [b][n..][ch]: axes, of x: 4, 6",
    "fd_stencil: wants x [b][n..][c], w [taps]..[c]: axes, of x, of w: 0, 3, 3",
    "fd_stencil: wants x [b][n..][c], w [taps]..[c]: axes, of x, of w: 4, 6, 5",
    "fd_stencil: wants x [b][n..][c], w [taps]..[c]: axes, of x, of w: 2, 3, 3",
    "fd_stencil: taps of an axis are 1, 3, 5, 7 or 9: axis, taps: 0, 11" };

static fd_var *wrong_call(int k, fd_tape *t, const fd_real *x)
{
    const double step[4] = { 1, 1, 1, 1 };
    fd_var *one = fd_input(t, 0, NULL, x), *v1 = fd_input(t, 1, S(1), x);
    fd_var *m = fd_input(t, 2, S(4, 6), x), *q = fd_input(t, 3, S(2, 4, 6), x);
    fd_var *v6 = fd_input(t, 1, S(6), x), *v5 = fd_input(t, 1, S(5), x);
    fd_var *b1 = fd_input(t, 3, S(1, 4, 6), x), *w4 = fd_input(t, 3, S(2, 4, 4), x);
    fd_var *d6 = fd_input(t, 6, S(1, 1, 1, 1, 1, 6), x);
    switch (k) {
    case 0: return fd_layernorm(t, one, v1, v1, 1);
    case 1: return fd_groupnorm(t, one, 1, 1, v1, v1, 1);
    case 2: return fd_groupnorm(t, q, 1, 1, v6, v5, 1);
    case 3: return fd_groupnorm(t, q, 0, 1, v6, v6, 1);
    case 4: return fd_attention(t, m, q, q, 1);
    case 5: return fd_attention(t, q, q, m, 1);
    case 6: return fd_attention(t, q, b1, q, 1);
    case 7: return fd_attention(t, q, q, b1, 1);
    case 8: return fd_attention(t, q, q, q, 0);
    case 9: return fd_attention(t, q, q, w4, 3);
    case 10: return fd_attention_over(t, m, q, q, 1, x);
    case 11: return fd_attention_over(t, q, q, q, 0, x);
    case 12: return fd_attention_over(t, q, q, q, 4, x);
    case 13: return fd_attention_over(t, q, w4, q, 3, x);
    case 14: return fd_patches(t, fd_input(t, 3, S(1, 4, 6), x), S(0));
    case 15: return fd_unpatches(t, q, 2, S(4, 4), S(2, 2));
    case 16: return fd_unpatches(t, m, 1, S(4), S(1));
    case 17: return fd_patches(t, d6, S(1, 1, 1));
    case 18: return fd_unpatches(t, q, 0, NULL, NULL);
    case 19: return fd_conv3(t, m, m, NULL);
    case 20: return fd_conv3(t, d6, d6, NULL);
    case 21: return fd_gather(t, q, 0, 1, NULL, NULL);
    case 22: return fd_gather(t, q, 1, 0, NULL, NULL);
    case 23: return fd_gather(t, q, 1, 1, S(-1), NULL);
    case 24: return fd_scale_shift(t, one, fd_input(t, 2, S(4, 2), x));
    case 25: return fd_scale_shift(t, q, q);
    case 26: return fd_scale_shift(t, q, fd_input(t, 2, S(4, 12), x));
    case 27: return fd_regrid(t, q, 0, NULL, NULL);
    case 28: return fd_regrid(t, d6, 4, NULL, S(1, 1, 1, 1));
    case 29: return fd_stencil(t, q, q, 0, NULL, step);
    case 30: return fd_stencil(t, d6, fd_input(t, 5, S(1, 1, 1, 1, 6), x), 4, NULL, step);
    case 31: return fd_stencil(t, q, q, 2, NULL, step);
    default: return fd_stencil(t, q, fd_input(t, 2, S(11, 6), x), 1, NULL, step);
    }
}

static void test_wrong(fd_arena mem)
{
    for (int k = 0; k < (int)(sizeof wrong_says / sizeof *wrong_says); k++) {
        fd_arena a = mem;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = wrong_call(k, &t, normals(&a, 1, 400));
        OK(!y && !strcmp(explain(a.st), wrong_says[k]), "%d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
}

/* Each input of an operator may be what a failure left. */
static void test_missing(fd_arena a)
{
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_real *x = normals(&a, 1, 48);
    fd_var *q = fd_input(&t, 3, S(2, 4, 6), x), *w = fd_input(&t, 2, S(3, 6), x);
    OK(!fd_attention(&t, NULL, q, q, 1) && !fd_attention(&t, q, NULL, q, 1)
       && !fd_attention(&t, q, q, NULL, 1) && !fd_attention_over(&t, q, NULL, q, 1, x)
       && !fd_attention_over(&t, q, q, NULL, 1, x) && !fd_stencil(&t, q, NULL, 1, NULL, NULL)
       && !fd_stencil(&t, NULL, w, 1, NULL, NULL) && !fd_regrid(&t, NULL, 1, NULL, NULL)
       && !fd_adapt(&t, 1, 0, w, NULL, NULL, NULL) && !a.st->code, "%s", explain(a.st));
}

/* Boundaries that there are not, and extents whose product no int holds. */
static const char *const extents_says[] = {
    "fd_regrid: unknown boundary: axis, boundary: 1, 4",
    "fd_regrid: unknown boundary: axis, boundary: 0, -1",
    "fd_stencil: unknown boundary: axis, boundary: 0, 4",
    "fd_stencil: unknown boundary: axis, boundary: 1, -1",
    "fd_conv3: unknown boundary: axis, boundary: 0, 4",
    "fd_conv3: unknown boundary: axis, boundary: 1, -1",
    "fd_unpatches: too many points: axis, points: 1, 65536",
    "fd_unpatches: too many points: axis, points: 1, 65536",
    "fd_groupnorm: too many points: 4294967296", "fd_conv3: too many points: 4294967296",
    "fd_stencil: too many entries", "fd_regrid: too many entries",
    "fd_regrid: too many entries" };

static void test_extents(fd_arena mem)
{
    enum { HALF = 65536 };
    const double step[2] = { 1, 1 };
    for (int k = 0; k < 13; k++) {
        if (k > 7 && sizeof(ptrdiff_t) < 8) break;         /* there are not so many numbers */
        fd_arena a = mem;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_real *x = normals(&a, 1, 24);
        fd_var *u = fd_input(&t, 4, S(1, 3, 4, 2), x), *w = fd_input(&t, 3, S(1, 3, 2), x);
        fd_var *v = fd_input(&t, 4, S(3, 3, 2, 1), normals(&a, 2, 18)), *y;
        switch (k) {
        case 0: y = fd_regrid(&t, u, 2, S(0, 4), S(3, 2)); break;
        case 1: y = fd_regrid(&t, u, 2, S(-1, 0), S(2, 4)); break;
        case 2: y = fd_stencil(&t, u, w, 2, S(4, 0), step); break;
        case 3: y = fd_stencil(&t, u, w, 2, S(0, -1), step); break;
        case 4: y = fd_conv3(&t, u, v, S(4, 0)); break;
        case 5: y = fd_conv3(&t, u, v, S(0, -1)); break;
        /* what is only counted is never read */
        case 8: w = fd_input(&t, 1, S(1), x), u = fd_input(&t, 4, S(1, HALF, HALF, 1), x);
            y = fd_groupnorm(&t, u, 1, 1, w, w, 1);
            break;
        case 9: v = fd_input(&t, 3, S(3, 1, 1), x);
            y = fd_conv3(&t, fd_input(&t, 3, S(HALF, HALF, 1), x), v, NULL);
            break;
        case 10: w = fd_input(&t, 2, S(3, 1), x);
            y = fd_stencil(&t, fd_input(&t, 3, S(HALF, HALF, 1), x), w, 1, NULL, step);
            break;
        case 11: u = fd_input(&t, 5, S(1, 2, HALF, HALF, 1), x);
            y = fd_regrid(&t, u, 3, NULL, S(1, HALF, HALF));
            break;
        case 12: u = fd_input(&t, 4, S(HALF, HALF, 2, 1), x);
            y = fd_regrid(&t, u, 2, NULL, S(HALF, 1));
            break;
        default:
            u = fd_input(&t, 3, S(1, 4, 6), x);
            y = fd_unpatches(&t, u, 2, S(65536, 65536), k == 6 ? S(1, 1) : S(65536, 65536));
        }
        OK(!y && !strcmp(explain(a.st), extents_says[k]), "%d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
}

/* The separable spectral convolution is the dense one with a diagonal weight, to the second
 * derivative. */
static void test_separable(fd_arena mem)
{
    enum { B = 2, C = 3 };
    static const struct { int axes, n[3], lo[3], hi[3]; } row[] = {
        { 1, { 9 }, { 0 }, { 4 } }, { 1, { 8 }, { 0 }, { 4 } },
        { 2, { 5, 6 }, { -2, 0 }, { 1, 3 } },
        { 3, { 3, 4, 5 }, { -1, -2, 0 }, { 1, 1, 2 } }
    };
    for (int k = 0; k < 4; k++) {
        fd_arena b = mem;
        int d = row[k].axes, nx[5] = { B }, nw[6], points = B * C, modes = C * 2;
        for (int i = 0; i < d; i++) {
            nx[i + 1] = row[k].n[i];
            nw[i] = row[k].hi[i] - row[k].lo[i] + 1;
            points *= nx[i + 1];
            modes *= nw[i];
        }
        nx[d + 1] = nw[d] = C;
        nw[d + 1] = 2;
        fd_real *xs = normals(&b, 5, points), *R = normals(&b, 6, modes);
        fd_real *q = normals(&b, 7, points);
        fd_real *qw = normals(&b, 8, modes), eye[C * C] = { 0 };
        for (int i = 0; i < C; i++) eye[i * C + i] = 1;
        fd_tape s = fd_tape_begin(&b, FD_GRAD2);
        fd_var *in[2][2], *got[2][5] = { { NULL } };
        for (int dense = 0; dense < 2; dense++) {
            fd_var *W = in[dense][1] = fd_param(&s, d + 2, nw, R, NULL), **g = got[dense];
            in[dense][0] = fd_param(&s, d + 2, nx, xs, NULL);
            if (dense) {
                int wide[6];
                memcpy(wide, nw, sizeof wide);
                wide[d + 1] = 1;
                wide[d + 2] = 2;
                W = fd_mul(&s, fd_reshape(&s, W, d + 3, wide), fd_input(&s, 3, S(C, C, 1), eye));
            }
            g[0] = fd_spectral(&s, in[dense][0], W, d, row[k].lo, row[k].hi);
            fd_grad(&s, fd_map(&s, g[0], FD_SQUARE), NULL, 2, in[dense], g + 1);
            fd_var *sum = fd_sum_to(&s, fd_mul(&s, g[1], fd_input(&s, d + 2, nx, q)), 0, NULL);
            sum = fd_add(&s, sum,
                         fd_sum_to(&s, fd_mul(&s, g[2], fd_input(&s, d + 2, nw, qw)), 0, NULL));
            fd_grad(&s, sum, NULL, 2, in[dense], g + 3);
        }
        for (int i = 0; i < 5; i++) {
            fd_var *p = got[0][i], *r = got[1][i];
            NEAR(p && r ? test_rel(fd_count(r), p->x, r->x) : 1, 0, TOL(1e-13, 1e-5),
                 "separable %d: %d, %s", k, i, explain(b.st));
        }
    }
}

/* gathering, waves, scale and shift against loops */
static void test_small(fd_arena mem)
{
    enum { B = 2, N = 5, C = 3, M = 4, K = 2 };
    fd_arena a = mem;
    static const int index[M * K] = { 3, 0, 1, 1, 4, 2, 0, 4 };
    fd_real *x = normals(&a, 1, B * N * C), *w = normals(&a, 2, M * K), *f = normals(&a, 3, C * M);
    fd_real *ss = normals(&a, 4, B * 2 * C);
    double worst = 0;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *v = fd_input(&t, 3, S(B, N, C), x), *y = fd_gather(&t, v, M, K, index, w);
    fd_var *u = fd_fourier_features(&t, v, fd_input(&t, 2, S(C, M), f));
    fd_var *z = fd_scale_shift(&t, v, fd_input(&t, 2, S(B, 2 * C), ss));
    fd_var *wave = fd_gabor(&t, v, 2.385, .3);
    if (!y || !u || !z || !wave) { OK(0, "%s", explain(a.st)); return; }
    for (int i = 0; i < B * M * C; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++) {
            int r = i / C % M * K + k;
            sum += (double)w[r] * (double)x[(i / C / M * N + index[r]) * C + i % C];
        }
        worst = fmax(worst, fabs(sum - (double)y->x[i]));
    }
    NEAR(worst, 0, 10 * EPS, "gather");
    worst = 0;
    for (int i = 0; i < B * N * 2 * M; i++) {
        double p = 0;
        for (int c = 0; c < C; c++) p += (double)x[i / 2 / M * C + c] * (double)f[c * M + i % M];
        worst = fmax(worst, fabs((i / M % 2 ? sin(p) : cos(p)) - (double)u->x[i]));
    }
    NEAR(worst, 0, 20 * EPS, "waves");
    worst = 0;
    for (int i = 0; i < B * N * C; i++) {
        const fd_real *q = ss + i / N / C * 2 * C + i % C;
        worst = fmax(worst,
                     fabs((1 + (double)q[0]) * (double)x[i] + (double)q[C] - (double)z->x[i]));
    }
    NEAR(worst, 0, 10 * EPS, "scale and shift");
    worst = 0;
    for (int i = 0; i < B * N * C; i++) {
        double p = (double)x[i];
        worst = fmax(worst, fabs(sin(2.385 * p) * exp(-.3 * p * p) - (double)wave->x[i]));
    }
    NEAR(worst, 0, 10 * EPS, "gabor");
    test_separable(mem);
}

static void test_groupnorm(fd_arena mem)
{
    enum { B = 2, P = 35, C = 6 };
    static const int groups[] = { 1, 2, 3, 6 };
    for (int k = 0; k < 8; k++) {
        fd_arena a = mem;
        int g = groups[k % 4], centred = k / 4, each = C / g;
        fd_real *x = normals(&a, 3, B * P * C), *gain = normals(&a, 4, C);
        fd_real *bias = normals(&a, 5, C);
        for (int i = 0; i < B * P * C; i++) x[i] = 3 * x[i] + (fd_real)(2.385 * (i % C));
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_groupnorm(&t, fd_input(&t, 4, S(B, 5, 7, C), x), g, centred,
                                 fd_input(&t, 1, S(C), gain), fd_input(&t, 1, S(C), bias), .3);
        if (!y) { OK(0, "%s", explain(a.st)); return; }
        double worst = 0;
        for (int b = 0; b < B; b++)
            for (int j = 0; j < g; j++) {
                double mean = 0, square = 0;
                for (int p = 0; p < P * each; p++)
                    mean += (double)x[(b * P + p / each) * C + j * each + p % each] / (P * each);
                if (!centred) mean = 0;
                for (int p = 0; p < P * each; p++)
                    square += pow((double)x[(b * P + p / each) * C + j * each + p % each] - mean,
                                  2);
                for (int p = 0; p < P * each; p++) {
                    int c = j * each + p % each, i = (b * P + p / each) * C + c;
                    double z = ((double)x[i] - mean) / sqrt(square / (P * each) + .3);
                    worst = fmax(worst,
                                 fabs((double)y->x[i] - z * (double)gain[c] - (double)bias[c]));
                }
            }
        NEAR(worst, 0, TOL(1e-13, 1e-5), "%d groups, centred %d", g, centred);
    }
}

/* fd_regrid is fd_resample, on every kind of axis, up and down, odd and even */
static void test_regrid(fd_arena mem)
{
    static const int side[][3] = { { 4, 5, 6 }, { 7, 5, 3 }, { 1, 8, 9 }, { 12, 13, 4 } };
    for (int k = 0; k < 4 * 4 * 4; k++)
        for (int nd = 1; nd < 4; nd++) {
            fd_arena a = mem;
            const int *n = side[k % 4], *m = side[k / 4 % 4];
            int bc[3] = { k / 16, (k / 16 + k) % 4, k % 3 }, nx[5] = { 2 }, ny = 2;
            fd_space from = fd_grid(&a, nd, n, NULL, bc, 1), to = fd_grid(&a, nd, m, NULL, bc, 1);
            fd_real *x = normals(&a, 3 + k, 2 * from.points);
            fd_real *want = fd_new(&a, fd_real, 2 * to.points);
            fd_resample(&from, &to, 2, x, want, a);
            fd_tape t = fd_tape_begin(&a, FD_EVAL);
            memcpy(nx + 1, n, (size_t)nd * sizeof *n);
            nx[nd + 1] = 1;
            fd_var *y = fd_regrid(&t, fd_input(&t, nd + 2, nx, x), nd, bc, m);
            if (!y) { OK(0, "%s", explain(a.st)); return; }
            int kept = 0;                          /* an axis of the same length is left as it is */
            for (int i = 0; i < nd; i++) {
                ny *= m[i];
                kept |= m[i] == n[i] && n[i] % 2 == 0 && bc[i] == FD_PERIODIC;
            }
            OK(fd_count(y) == ny, "%d entries", (int)fd_count(y));
            if (!kept)
                NEAR(test_rel(ny, y->x, want), 0, TOL(1e-12, 3e-6), "case %d, %d axes", k, nd);
        }
    fd_arena a = mem;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_real *x = normals(&a, 1, 24);
    fd_var *y = fd_regrid(&t, fd_input(&t, 4, S(1, 3, 4, 2), x), 2, NULL, S(1, 1));
    double mean = 0;
    for (int i = 0; i < 12; i++) mean += (double)x[2 * i + 1] / 12;
    NEAR(y ? (double)y->x[1] : NAN, mean, 10 * EPS, "one point: the mean");
}

/* e_k of section 6 without its factor, at x in units of the axis */
static double wave(int bc, int k, double x)
{
    const double pi = acos(-1);
    if (bc == FD_PERIODIC) return k % 2 ? cos(pi * (k + 1) * x) : sin(pi * k * x + .3);
    return bc == FD_NEUMANN ? cos(pi * k * x) : sin(pi * (k + (bc == FD_MIXED ? .5 : 1)) * x);
}

static double place(int bc, int n, double i)
{
    return bc == FD_PERIODIC ? i / n : bc == FD_DIRICHLET ? (i + 1) / (n + 1) : (i + .5) / n;
}

/* Where tap r of point p is, and with what sign. */
static int tap(int nd, const int *n, const int *wide, const int *bc, const double *step, int p,
               int r, double *sign)
{
    int from = 0;
    *sign = 1;
    for (int d = nd - 1, size = 1; d >= 0; d--) {
        int at = p % n[d] + (r % wide[d] - wide[d] / 2) * (int)step[d];
        *sign *= beyond(bc[d], n[d], &at);
        from += at * size;
        size *= n[d];
        p /= n[d];
        r /= wide[d];
    }
    return from;
}

/* Two axes, a function of a few modes; steps of 1/12 of an axis, for Dirichlet of 12 intervals. */
static void stencil_moves(fd_arena mem)
{
    static const int grids[][2] = { { 12, 12 }, { 24, 36 }, { 15, 17 }, { 20, 11 } };
    for (int k = 0; k < 4 * 4 * 4; k++) {
        fd_arena a = mem;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        int bc[2] = { k / 4 % 4, k / 16 }, n[2];
        double step[2], worst = 0;
        for (int i = 0; i < 2; i++) {
            int off = bc[i] == FD_DIRICHLET;
            n[i] = grids[k % 4][i] - off;
            step[i] = grids[k % 4][i] / 12.;
        }
        fd_real *x = fd_raw(&a, fd_real, n[0] * n[1]), *w = normals(&a, 3, 9);
        for (int q = 0; q < n[0] * n[1]; q++)
            x[q] = (fd_real)(wave(bc[0], 3, place(bc[0], n[0], q / n[1]))
                             * wave(bc[1], 4, place(bc[1], n[1], q % n[1])));
        fd_var *y = fd_stencil(&t, fd_input(&t, 4, S(1, n[0], n[1], 1), x),
                               fd_input(&t, 3, S(3, 3, 1), w), 2, bc, step);
        if (!y) { OK(0, "%s", explain(a.st)); return; }
        for (int q = 0; q < n[0] * n[1]; q++) {
            double sum = 0;
            for (int o = 0; o < 9; o++)
                sum += (double)w[o]
                     * wave(bc[0], 3, place(bc[0], n[0], q / n[1] + (o / 3 - 1) * step[0]))
                     * wave(bc[1], 4, place(bc[1], n[1], q % n[1] + (o % 3 - 1) * step[1]));
            worst = fmax(worst, fabs(sum - (double)y->x[q]));
        }
        NEAR(worst, 0, TOL(1e-13, 2e-5), "moved by the same lengths on %dx%d, boundaries %d %d",
             n[0], n[1], bc[0], bc[1]);
    }
}

/* Its Fourier multiplier: sum_o w_o exp(2 pi i k o step/n), of the Nyquist mode the real part. */
static void stencil_multiplier(fd_arena mem)
{
    for (int k = 0; k <= 8; k++)
        for (int half = 0; half < 2; half++) {
            fd_arena a = mem;
            fd_tape t = fd_tape_begin(&a, FD_EVAL);
            enum { N = 16 };
            const double turn = 2 * acos(-1) * k / N, step = half ? 1.5 : 3;
            double re = 0, im = 0, worst = 0;
            fd_real x[N], w[3] = { (fd_real).7, (fd_real)-1.1, (fd_real).4 };
            for (int i = 0; i < N; i++) x[i] = (fd_real)cos(turn * i);
            for (int o = 0; o < 3; o++) {
                re += (double)w[o] * cos(turn * (o - 1) * step);
                im += k < N / 2 ? (double)w[o] * sin(turn * (o - 1) * step) : 0;
            }
            fd_var *y = fd_stencil(&t, fd_input(&t, 3, S(1, N, 1), x), fd_input(&t, 2, S(3, 1), w),
                                   1, NULL, &step);
            for (int i = 0; i < N && y; i++)
                worst = fmax(worst, fabs((double)y->x[i] - re * cos(turn * i)
                                         + im * sin(turn * i)));
            NEAR(y ? worst : NAN, 0, TOL(1e-14, 2e-6), "multiplier of mode %d, step %g", k, step);
        }
}

/* Lines longer than what is summed at a time, more channels than a vector has lanes: the gradient
 * of the weights against its sum over the points. */
static void stencil_long(fd_arena a)
{
    enum { N = 300, C = 20, K = 5 };
    fd_real *x = normals(&a, 1, N * C), *w = normals(&a, 2, K * C), *dy = normals(&a, 3, N * C);
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *u = fd_input(&t, 3, S(1, N, C), x), *v = fd_param(&t, 2, S(K, C), w, NULL), *g = NULL;
    fd_var *y = fd_stencil(&t, u, v, 1, S(FD_NEUMANN), (double[]){ 3 });
    fd_grad(&t, y, fd_input(&t, 3, S(1, N, C), dy), 1, &v, &g);
    if (!y || !g) { OK(0, "%s", explain(a.st)); return; }
    double worst = 0, values = 0;
    for (int c = 0; c < C; c++)
        for (int k = 0; k < K; k++) {
            double sum = 0;
            for (int p = 0; p < N; p++) {
                int q = p + (k - K / 2) * 3;
                q = q < 0 ? -1 - q : q >= N ? 2 * N - 1 - q : q;
                sum += (double)x[q * C + c] * (double)dy[p * C + c];
                y->x[p * C + c] -= x[q * C + c] * w[k * C + c];
            }
            worst = fmax(worst, fabs(sum - (double)g->x[k * C + c]));
        }
    for (int i = 0; i < N * C; i++) values = fmax(values, fabs((double)y->x[i]));
    NEAR(worst, 0, TOL(1e-12, 1e-4), "gradient of the weights of a long line");
    NEAR(values, 0, TOL(1e-14, 5e-6), "values on a long line");
}

/* fd_stencil is its sum, on every boundary, with steps of points; and with any step it moves the
 * function, whatever the grid: the same operator on every grid that holds the function */
static void test_stencil(fd_arena mem)
{
    enum { B = 3, C = 19 };
    static const int sides[][3] = { { 5, 6, 7 }, { 9, 1, 12 }, { 2, 4, 33 } };
    static const int wides[][3] = { { 3, 3, 3 }, { 1, 3, 5 }, { 5, 1, 9 } };
    for (int k = 0; k < 4 * 4 * 3 * 3; k++)
        for (int nd = 1; nd < 4; nd++) {
            fd_arena a = mem;
            const int *n = sides[k % 3] + 3 - nd, *wide = wides[k / 3 % 3] + 3 - nd;
            int bc[3] = { k / 9 % 4, (k / 9 + k) % 4, k / 36 }, points = 1, taps = 1, nx[5] = { B },
                nw[4];
            double step[3] = { 1 + k % 3, 1 + k % 2, 1 + (k % 5 == 0) }, worst = 0;
            for (int i = 0; i < nd; i++) {
                nx[1 + i] = n[i];
                nw[i] = wide[i];
                points *= n[i];
                taps *= wide[i];
            }
            nx[nd + 1] = nw[nd] = C;
            fd_real *x = normals(&a, 1, B * points * C), *w = normals(&a, 2, taps * C);
            uint64_t bits = 0, split = 0;
            int most = test_most_threads();
            for (int threads = 1; threads <= 3; threads += 2) {
                fd_arena m = a;
                fd_tape t = fd_tape_begin(&m, FD_EVAL);
                test_use_threads(threads);
                fd_var *y = fd_stencil(&t, fd_input(&t, nd + 2, nx, x), fd_input(&t, nd + 1, nw, w),
                                       nd, bc, step);
                test_use_threads(most);
                if (!y) { OK(0, "%s", explain(m.st)); return; }
                uint64_t now = test_hash(y->x, (size_t)(B * points * C) * sizeof *x);
                if (threads > 1) OK(now == bits, "the same bits with threads");
                bits = now;
                nx[0] = 1;                            /* and for the last sample alone */
                fd_var *z = fd_stencil(&t, fd_input(&t, nd + 2, nx, x + (B - 1) * points * C),
                                       fd_input(&t, nd + 1, nw, w), nd, bc, step);
                nx[0] = B;
                split |= !z || memcmp(z->x, y->x + (B - 1) * points * C,
                                      (size_t)(points * C) * sizeof *x);
                for (int i = 0; i < B * points; i++)
                    for (int c = 0; c < C; c++) {
                        double sum = 0;
                        for (int o = 0; o < taps; o++) {
                            double sign;
                            const int from = tap(nd, n, wide, bc, step, i % points, o, &sign);
                            sum += sign * (double)w[o * C + c]
                                 * (double)x[(i / points * points + from) * C + c];
                        }
                        worst = fmax(worst, fabs(sum - (double)y->x[i * C + c]));
                    }
            }
            OK(!split, "the same bits for a sample alone");
            NEAR(worst, 0, TOL(1e-13, 5e-5), "the sum: boundaries %d %d %d, %d axes, case %d",
                 bc[0], bc[1], bc[2], nd, k);
        }
    stencil_moves(mem);
    stencil_multiplier(mem);
}

/* an expression of variables m [4][5], q [2][4][6], im [1][4][6][2] and v5 [5], of which nothing
 * comes but the message */
#define P(...) \
    fd_param(t, (int)(sizeof S(__VA_ARGS__) / sizeof(int)), S(__VA_ARGS__), x, NULL)
#define WRONG(message, expr) do { \
        fd_tape t_ = fd_tape_begin(&a, FD_GRAD), *t = &t_; \
        fd_var *m = P(4, 5), *q = P(2, 4, 6), *im = P(1, 4, 6, 2), *v5 = P(5); \
        OK(!(expr) && !strcmp(explain(a.st), message), #expr ": '%s'", explain(a.st)); \
        (void)m, (void)q, (void)im, (void)v5; \
        a.st->code = FD_OK; \
        fd_tape_end(t); \
    } while (0)

/* norms and attention */
static void test_errors(fd_arena a)
{
    fd_real x[600] = { 0 };
    WRONG("fd_softmax: no last axis", fd_softmax(t, fd_param(t, 0, NULL, x, NULL)));
    WRONG("fd_layernorm: gain and bias must be as long as the last axis: lengths: 5, 4, 5",
          fd_layernorm(t, m, P(4), v5, 1e-6));
    WRONG("fd_layernorm: gain and bias must be as long as the last axis: lengths: 5, 5, 20",
          fd_layernorm(t, m, v5, m, 1e-6));
    WRONG("fd_groupnorm: groups do not divide the channels: 2, 5",
          fd_groupnorm(t, m, 2, 1, v5, v5, 0));
    WRONG("fd_groupnorm: gain and bias must be as long as the last axis: lengths: 6, 5, 5",
          fd_groupnorm(t, q, 2, 1, v5, v5, 0));
    WRONG("fd_attention: wants q, k, v [b][n][d]: axes: 3, 2, 3", fd_attention(t, q, m, q, 2));
    WRONG("fd_attention: q, k, v differ: samples, keys, values: 2, 4, 3",
          fd_attention(t, q, q, P(2, 3, 6), 2));
    WRONG("fd_attention: widths of q and k differ: 6, 4", fd_attention(t, q, P(2, 4, 4), q, 2));
    WRONG("fd_attention: heads do not divide the width: 4, 6, 6", fd_attention(t, q, q, q, 4));
    WRONG("fd_attention_over: wants q, k [b][n][d], d a multiple of heads: axes, heads: 3, 2, 3",
          fd_attention_over(t, q, m, q, 3, x));
    WRONG("fd_attention_over: weights must be positive: point: 0",
          fd_attention_over(t, q, q, q, 3, x));
    WRONG("fd_scale_shift: wants x [b]..[c], scale and shift [b][2 c]: c, b, 2 c: 6, 4, 5",
          fd_scale_shift(t, q, m));
}

/* what works on grids: patches, stencils, the choice of points */
static void test_grid_errors(fd_arena a)
{
    fd_real x[600] = { 0 };
    const double one[2] = { 1, 1 }, never[2] = { 1, NAN };
    WRONG("fd_patches: wants [b][n..][ch]: axes: 2", fd_patches(t, m, S(1)));
    WRONG("fd_patches: patch does not divide the axis: axis, lengths: 1, 4, 6",
          fd_patches(t, im, S(2, 4)));
    WRONG("fd_unpatches: number of axes out of range: 4",
          fd_unpatches(t, q, 4, S(1, 1, 1, 1), S(1, 1, 1, 1)));
    WRONG("fd_unpatches: wants [b][tokens][patch * ch]: axes, tokens, patch: 3, 6, 4",
          fd_unpatches(t, q, 2, S(4, 6), S(2, 2)));
    WRONG("fd_conv3: wants x [b][n..][ci], w [3]..[ci][co]: axes: 4, 3", fd_conv3(t, im, q, NULL));
    WRONG("fd_conv3: the kernel is 3 points wide: axis, length: 1, 5",
          fd_conv3(t, im, P(3, 5, 2, 2), NULL));
    WRONG("fd_conv3: channels differ: 2, 3", fd_conv3(t, im, P(3, 3, 3, 2), NULL));
    WRONG("fd_regrid: wants [b][n..][ch]: axes, of x: 2, 3", fd_regrid(t, q, 2, NULL, S(2, 2)));
    WRONG("fd_regrid: axis has no entries: axis, length: 1, 0", fd_regrid(t, im, 2, NULL, S(2, 0)));
    WRONG("fd_gather: wants x [b][n][c], m and k > 0: axes, m, k: 2, 1, 1",
          fd_gather(t, m, 1, 1, S(0), NULL));
    WRONG("fd_gather: outside the points: entry, index, points: 1, 4, 4",
          fd_gather(t, q, 1, 2, S(3, 4), NULL));
    WRONG("fd_stencil: wants x [b][n..][c], w [taps]..[c]: axes, of x, of w: 2, 4, 2",
          fd_stencil(t, im, m, 2, NULL, one));
    WRONG("fd_stencil: channels differ: 2, 6",
          fd_stencil(t, im, P(3, 3, 6), 2, NULL, one));
    WRONG("fd_stencil: taps of an axis are 1, 3, 5, 7 or 9: axis, taps: 1, 2",
          fd_stencil(t, im, P(3, 2, 2), 2, NULL, one));
    WRONG("fd_stencil: the step is no number, or above 2^24: axis: 1",
          fd_stencil(t, im, P(3, 3, 2), 2, NULL, never));
}
#undef WRONG
#undef P

/* nothing of nothing, and no word of it */
static void test_nothing(fd_arena a)
{
    fd_real x[600] = { 0 };
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *m = fd_param(&t, 2, S(4, 5), x, NULL), *q = fd_param(&t, 3, S(2, 4, 6), x, NULL);
    fd_var *v5 = fd_param(&t, 1, S(5), x, NULL);
    fd_var *y = fd_softmax(&t, fd_layernorm(&t, NULL, v5, v5, 0));
    y = fd_attention_over(&t, y, y, y, 1, x);
    y = fd_gather(&t,
                  fd_gabor(&t, fd_fourier_features(&t, fd_scale_shift(&t, y, m), y), 1, 1),
                  1, 1, S(0), NULL);
    y = fd_attention(&t, y, y, fd_patches(&t, fd_unpatches(&t, y, 1, S(2), S(1)), S(1)), 1);
    y = fd_stencil(&t, y, v5, 1, NULL, (double[]){ 1 });
    y = fd_conv3(&t, fd_regrid(&t, fd_groupnorm(&t, y, 1, 0, v5, v5, 0), 1, NULL, S(1)), q,
                 NULL);
    OK(!y && !a.st->code, "%s", explain(a.st));
    fd_tape_end(&t);
}

/* ---- Networks ---- */

static const fd_arch zoo[] = {
    { .kind = FD_UVIT, .nd = 2, .in = 2, .out = 2, .width = 8, .layers = 5, .grid = { 4, 6 },
      .time = FD_TIME_TOKEN, .embed = 6, .tscale = 7,
      .vit = { .heads = 2, .mlp = 5, .patch = { 2, 3 }, .pos = FD_POS_LEARNED } },
    { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 6, .layers = 2, .grid = { 8 },
      .time = FD_TIME_CHANNEL, .act = FD_SILU,
      .vit = { .heads = 3, .patch = { 2 }, .qkv_bias = 1 } },
    { .kind = FD_UVIT, .nd = 2, .in = 1, .out = 1, .width = 8, .layers = 5, .grid = { 3, 2 },
      .coords = FD_COORD_OPEN, .vit = { .heads = 2, .patch = { 1, 1 } } },
    { .kind = FD_SIREN, .nd = 2, .in = 1, .out = 1, .width = 7, .layers = 2,
      .time = FD_TIME_CHANNEL, .inr = { .mod = FD_MOD_SCALE, .latent = 3, .omega = 3 } },
    { .kind = FD_GABOR, .nd = 1, .in = 2, .out = 2, .width = 5, .layers = 3,
      .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
      .inr = { .omega = 2, .mod = FD_MOD_WEIGHTS } },
    { .kind = FD_VIT, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 1, .grid = { 4, 6 },
      .time = FD_TIME_TOKEN, .embed = 4, .tscale = 700,
      .vit = { .heads = 2, .mlp = 5, .patch = { 2, 2 } },
      .field = { .kind = FD_SIREN, .width = 5, .layers = 2 }, .inr = { .latent = 3, .omega = 2 } },
    { .kind = FD_FNO_BLOCK, .nd = 1, .in = 2, .out = 2, .width = 3, .layers = 2,
      .time = FD_TIME_FILM, .embed = 4, .tscale = 500, .fno = { .modes = { 4 }, .lift = -1 },
      .field = { .kind = FD_GABOR, .width = 4, .layers = 2, .pixels = 1, .pool = 3 },
      .inr = { .mod = FD_MOD_WEIGHTS, .omega = 2 } },
    { .kind = FD_UVIT, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 3, .grid = { 8 },
      .time = FD_TIME_CHANNEL, .vit = { .heads = 1, .mlp = 4, .patch = { 2 } },
      .field = { .kind = FD_SIREN, .width = 4, .layers = 1, .pixels = 1, .pool = 2 },
      .inr = { .mod = FD_MOD_SHIFT, .omega = 2 } },
    { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .width = 2, .time = FD_TIME_FILM, .embed = 4,
      .tscale = 2, .fno = { .modes = { 8 }, .pad = { .2, .2 } },
      .u = { .levels = 3, .mult = { 1, 2, 1 }, .scale = { 1, .75, .5 } } },
    { .kind = FD_UNO, .nd = 2, .in = 2, .out = 2, .width = 2, .time = FD_TIME_CHANNEL,
      .coords = FD_COORD_CLOSED, .fno = { .modes = { 3, 4 }, .lift = 3, .proj = 4 },
      .u = { .levels = 2, .mult = { 2, 1 } } },
    { .kind = FD_FNO_UNET, .nd = 1, .in = 1, .out = 1, .width = 2, .layers = 1, .u.levels = 2,
      .time = FD_TIME_FILM, .embed = 4, .tscale = 2, .fno = { .modes = { 6 }, .groups = 1 } },
    { .kind = FD_FNO_UNET, .nd = 2, .in = 1, .out = 1, .width = 2, .layers = 1,
      .fno.modes = { 4, 3 }, .u.levels = 2, .coords = FD_COORD_OPEN },
    { .kind = FD_POINTS, .nd = 2, .in = 1, .out = 1, .width = 4, .layers = 1, .time = FD_TIME_FILM,
      .embed = 4, .tscale = 3, .vit = { .heads = 2, .mlp = 5 },
      .points = { .waves = { 1, 2 }, .lift = 3 } },
    { .kind = FD_POINTS, .nd = 1, .in = 2, .out = 2, .width = 4, .layers = 2,
      .time = FD_TIME_CHANNEL, .vit = { .heads = 1, .mlp = 4, .qkv_bias = 1 },
      .points = { .waves = { 2 }, .lift = -1, .latent = 3, .pixels = 1 } },
    { .kind = FD_FNO_SEPARABLE, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 2,
      .time = FD_TIME_TOKEN, .embed = 4, .tscale = 3, .clock = FD_CLOCK_RANDOM,
      .fno = { .modes = { 3 }, .groups = 2, .mlp = 5, .proj = 3 } },
    { .kind = FD_FNO_SEPARABLE, .nd = 2, .in = 2, .out = 2, .width = 3, .layers = 2,
      .time = FD_TIME_CHANNEL, .coords = FD_COORD_OPEN, .embed = 2,
      .fno = { .modes = { 1, 2 }, .groups = 1, .mlp = 2, .proj = -1, .pad = { .3, .3 } } },
    { .kind = FD_UNO, .nd = 2, .in = 1, .out = 1, .width = 3, .fno.modes = { 2, 3 },
      .u = { .levels = 1, .rank = .3 } }
};
enum { ZOO = sizeof zoo / sizeof *zoo };

static fd_space zoo_space(fd_arena *a, const fd_arch *arch)
{
    static const int n[ZOO][2] = { { 4, 6 }, { 8 }, { 3, 2 }, { 4, 3 }, { 7 },
                                      { 4, 6 }, { 7 }, { 9 }, { 15 }, { 6, 5 }, { 16 }, { 8, 7 },
                                      { 3, 4 }, { 6 }, { 7 }, { 5, 4 }, { 5, 4 } };
    return fd_grid(a, arch->nd, arch->inr.inner ? arch->grid : n[arch - zoo], NULL, NULL, arch->in);
}

static void shake(fd_net *net, int key)
{
    fd_normal(fd_seed((uint64_t)key), net->count, net->w);
    for (ptrdiff_t i = 0; i < net->count; i++) net->w[i] *= (fd_real).5;
}

static const struct { fd_arch a; ptrdiff_t count; } counted[] = {
    { { .kind = FD_UVIT, .nd = 2, .in = 3, .out = 3, .width = 512, .layers = 7,
        .grid = { 64, 64 }, .time = FD_TIME_TOKEN, .tscale = 999,
        .vit = { .heads = 8, .patch = { 1, 1 } } },
      25734743 },
    { { .kind = FD_GABOR, .nd = 2, .in = 0, .out = 1, .width = 128, .layers = 8,
        .time = FD_TIME_CHANNEL, .edges = FD_EDGES_PLAIN }, 118916 },
    { { .kind = FD_GABOR, .nd = 2, .in = 3, .out = 3, .width = 256, .layers = 15,
        .time = FD_TIME_CHANNEL, .edges = FD_EDGES_PLAIN }, 945173 },
    { { .kind = FD_SIREN, .nd = 2, .in = 0, .out = 1, .width = 128, .layers = 4,
        .inr = { .mod = FD_MOD_SCALE, .latent = 256 } },
      5 * 128 + 3 * 129 * 128 + 129 + 257 * 1024 },
    { { .kind = FD_VIT, .nd = 2, .in = 1, .out = 1, .width = 128, .layers = 5,
        .vit.patch = { 4, 4 }, .grid = { 32, 32 }, .time = FD_TIME_TOKEN },
      5 * (256 + 49152 + 16512 + 256 + 131712) + 131712 + 17 * 128 + 256 + 129 * 16 + 10 },
    { { .kind = FD_VIT, .nd = 2, .in = 1, .out = 1, .width = 128, .layers = 4,
        .vit.patch = { 4, 4 }, .grid = { 32, 32 }, .time = FD_TIME_TOKEN, .inr.latent = 256,
        .field = { .kind = FD_SIREN, .pool = 2 } },
      4 * (256 + 49152 + 16512 + 256 + 131712) + 131712 + 17 * 128 + 256      /* the ViT */
      + 513 * 256 + 6 * 128 + 3 * 129 * 128 + 129 + 257 * 1024 },
    { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 2,
        .inr.mod = FD_MOD_WEIGHTS, .fno = { .modes = { 6 }, .lift = -1 },
        .field = { .kind = FD_GABOR, .width = 16, .layers = 3 } },
      16 + 2 * (4 * 128 + 64 + 8) + 10 * (48 + 2 * 19 * 16 + 19) },
    /* DDO's sizes at 1/32 of the width: ci, co, modes of each block, 4 x 4 + 4, 8 x 2 + 2 */
#define BLOCK(ci, co, m) (2 * (ci) * (co) * (m) * ((m) / 2 + 1) + (ci) * (co) + (co))
    { { .kind = FD_UNO, .nd = 2, .in = 2, .out = 2, .width = 4, .coords = FD_COORD_CLOSED,
        .fno = { .modes = { 64, 64 }, .pad = { 1 / 15., 1 / 15. } } },
      20 + BLOCK(4, 4, 64) + BLOCK(4, 8, 64) + BLOCK(8, 16, 48) + BLOCK(16, 16, 32)
         + BLOCK(16, 16, 16) + BLOCK(32, 8, 32) + BLOCK(16, 4, 48) + BLOCK(8, 4, 64) + 18 },
    /* [DDO-SDF] at an eighth of the width, in one dimension: 8 16 16 channels, 32 16 8 modes */
#define CONV(ci, co, m) (2 * (ci) * (co) * ((m) / 2 + 1) + (ci) * (co) + (co))
#define RES(ci, co, m) (2 * (ci) + CONV(ci, co, m) + 2 * (co) + CONV(co, co, m) \
                    + ((ci) == (co) ? 0 : (ci) * (co)) + 33 * 2 * (co))
    { { .kind = FD_FNO_UNET, .nd = 1, .in = 1, .out = 1, .width = 8, .fno.modes = { 32 },
        .time = FD_TIME_FILM, .coords = FD_COORD_OPEN },
      24 + 9 * 32 + 33 * 32 + 9
      + 4 * RES(8, 8, 32) + CONV(8, 8, 16) + RES(8, 16, 16) + 3 * RES(16, 16, 16) + CONV(16, 16,
                                                                                         8)
      + 4 * RES(16, 16, 8) + 2 * RES(16, 16, 8)
      + 5 * RES(32, 16, 8) + CONV(16, 16, 8)
      + 4 * RES(32, 16, 16) + RES(24, 16, 16) + CONV(16, 16, 16)
      + RES(24, 8, 32) + 4 * RES(16, 8, 32) },
    /* [HDM], 50 half modes */
    { { .kind = FD_FNO_SEPARABLE, .nd = 1, .in = 1, .out = 1, .width = 256, .layers = 4,
        .time = FD_TIME_TOKEN, .fno = { .modes = { 50 }, .proj = 256 } },
      512 + 2 * 257 * 256 + 257 * 256 + 257
      + 4 * (512 + 2 * 50 * 256 + 256 + 256 + 257 * 1024 + 1025 * 256 + 256) },
    /* tokens 1 + 24, queries 24 inputs; two blocks; reading and answering, 64 wide */
    { { .kind = FD_POINTS, .nd = 2, .in = 1, .out = 1, .width = 64, .layers = 2,
        .points.latent = 32, .time = FD_TIME_FILM, .embed = 32 },
      26 * 128 + 25 * 128 + 2 * 129 * 64 + 33 * 32 + 33 * 32 + 33 * 12 * 64 + 32 * 64
      + 4 * (128 + 3 * 64 * 64 + 65 * 64 + 128 + 65 * 256 + 257 * 64) + 2 * 128 + 128 + 65 }
};

static const struct { fd_arch a; const char *text; } bad_arch[] = {
    { { .kind = FD_UVIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 } },
      "fd_net_new: layers of a U-ViT must be odd, are: 4" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 7, .layers = 4, .grid = { 8 },
        .embed = 2 },
      "fd_net_new: vit.heads must divide the width, are: 4" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4 },
      "fd_net_new: grid must be a multiple of the patch, is: 0" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4,
        .vit.patch = { -1 } },
      "fd_net_new: vit.patch[0] must be 0..64, is: -1" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 },
        .vit.pos = 3 },
      "fd_net_new: vit.pos must be FD_POS_WAVES..FD_POS_NONE, is: 3" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 },
        .vit.mlp = -2 },
      "fd_net_new: vit.mlp must be 0..65536, is: -2" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .fno.linear = 1 },
      "fd_net_new: FD_VIT does not use: fno.linear" },
    { { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 8, .layers = 4, .inr.mod = 4 },
      "fd_net_new: inr.mod must be FD_MOD_NONE..FD_MOD_WEIGHTS, is: 4" },
    { { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 8, .layers = 4, .inr.latent = -1 },
      "fd_net_new: inr.latent must be 0..65536, is: -1" },
    { { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 8, .layers = 4, .time = FD_TIME_FILM },
      "fd_net_new: this kind of network does not take that time: 2" },
    { { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 8, .layers = 4, .field.kind = FD_SIREN },
      "fd_net_new: FD_SIREN does not use: field.kind" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 },
        .field.kind = FD_VIT },
      "fd_net_new: field.kind must be 0, FD_SIREN or FD_GABOR, is: 2" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 },
        .field = { .kind = FD_GABOR, .width = -1 } },
        "fd_net_new: field.width must be 0..65536, is: -1" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 },
        .field = { .kind = FD_GABOR, .layers = -1 } },
        "fd_net_new: field.layers must be 0..9999, is: -1" },
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4, .grid = { 8 },
        .field = { .kind = FD_GABOR, .pool = 65 } },
        "fd_net_new: field.pool must be 0..64, is: 65" },
#define U .nd = 1, .in = 1, .out = 1, .width = 8
    { { .kind = FD_UNO, U, .u.levels = 7 }, "fd_net_new: u.levels must be 0..6, is: 7" },
    { { .kind = FD_UNO, U, .u.mult = { 65 } }, "fd_net_new: u.mult[0] must be 0..64, is: 65" },
    { { .kind = FD_UNO, U, .u.scale = { 2 } }, "fd_net_new: u.scale[0] must be in 0..1" },
    { { .kind = FD_UNO, U, .fno.pad = { 0, -.5 } }, "fd_net_new: fno.pad[1] must be in 0..4" },
    { { .kind = FD_UNO, U, .layers = 2 }, "fd_net_new: a U-NO has 1 layer a level, not: 2" },
    { { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 1,
        .points.waves = { 17 } },
      "fd_net_new: points.waves[0] must be 0..16, is: 17" },
    { { .kind = FD_FNO_SEPARABLE, U, .layers = 1, .fno.groups = 3 },
      "fd_net_new: fno.groups must divide the width, are: 3" },
    { { .kind = FD_FNO_BLOCK, U, .layers = 1, .u.rank = .5 },
      "fd_net_new: FD_FNO_BLOCK does not use: u.rank" },
    { { .kind = FD_FNO_BLOCK, U, .layers = 1, .fno.stencil = 10 },
        "fd_net_new: fno.stencil must be 0..9, is: 10" },
    { { .kind = FD_FNO_BLOCK, U, .layers = 1, .fno.stencil = 4, .grid = { 8, 8, 8 } },
      "fd_net_new: fno.stencil must be odd, is: 4" },
    { { .kind = FD_FNO_SEPARABLE, U, .layers = 1, .grid = { 8, 8, 8 },
        .fno = { .groups = 1, .stencil = 3 } },
      "fd_net_new: FD_FNO_SEPARABLE does not use: fno.stencil" },
    { { .kind = FD_FNO_BLOCK, U, .layers = 1, .fno.stencil = 3 },
      "fd_net_new: a stencil needs the grid that it is made for: an axis has: 0" },
    { { .kind = FD_FNO_BLOCK, U, .layers = 1, .clock = 2 },
        "fd_net_new: clock must be FD_CLOCK_WAVES..FD_CLOCK_RANDOM, is: 2" },
    { { .kind = FD_FNO_UNET, U, .fno.groups = 3 },
      "fd_net_new: fno.groups must divide the width, are: 3" },
#undef U
    { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 8, .layers = 4,
        .field.kind = FD_GABOR, .vit.pos = FD_POS_NONE },
      "fd_net_new: grid must be a multiple of the patch, is: 0" }
};

static void test_counts(void)
{
    for (size_t k = 0; k < sizeof counted / sizeof *counted; k++) {
        fd_status st;
        fd_arena a = test_arena(k ? 64 << 20 : (size_t)25734743 * 2 * sizeof(fd_real) + (1 << 20),
                                &st);
        fd_net *net = fd_net_new(&a, &counted[k].a, fd_seed(1));
        OK(net && net->count == counted[k].count, "%s: %ld numbers, not %ld", explain(&st),
           net ? (long)net->count : 0L, (long)counted[k].count);
        double s = 0;
        for (int i = 0; net && i < net->parts; i++)
            if (!strcmp(net->part[i].name, "mid_blocks.0.attn.qkv.w")) {
                const fd_real *w = net->w + net->part[i].at;
                for (int j = 0; j < 3 * 512 * 512; j++) s += (double)w[j] * (double)w[j] / 1536;
                NEAR(s, 1, .01, "variance of the first attention weights");
            }
        OK(k || (net && s > 0), "names of the parts");
        test_free();
    }
    for (size_t i = 0; i < sizeof bad_arch / sizeof *bad_arch; i++) {
        fd_status st;
        fd_arena a = test_arena(1 << 20, &st);
        fd_net *net = fd_net_new(&a, &bad_arch[i].a, fd_seed(1));
        OK(!net && a.st->code == FD_EARG && !strcmp(explain(a.st), bad_arch[i].text), "%s",
           explain(a.st));
        a.st->code = 0;
    }
}

/* --- U-ViT 0 of the zoo by plain loops, in double --- */

static const fd_net *plain_net;
static const fd_real *plain(const char *name)
{
    for (int i = 0; i < plain_net->parts; i++)
        if (!strcmp(plain_net->part[i].name, name)) return plain_net->w + plain_net->part[i].at;
    OK(0, "no part %s", name);
    return plain_net->w;
}
static void plain_dense(const char *stem, int rows, int in, int out, const double *x, double *y)
{
    char name[64];
    const fd_real *w = plain(strcat(strcpy(name, stem), ".w"));
    int bias = !strstr(stem, "qkv");
    const fd_real *b = bias ? plain(strcat(strcpy(name, stem), ".b")) : w;
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < out; o++) {
            double s = bias ? (double)b[o] : 0;
            for (int i = 0; i < in; i++) s += x[r * in + i] * (double)w[i * out + o];
            y[r * out + o] = s;
        }
}
static void plain_norm(const char *stem, int rows, int w, const double *x, double *y)
{
    char name[64];
    const fd_real *g = plain(strcat(strcpy(name, stem), ".g"));
    const fd_real *b = plain(strcat(strcpy(name, stem), ".b"));
    for (int r = 0; r < rows; r++) {
        double m = 0, v = 0;
        for (int i = 0; i < w; i++) m += x[r * w + i] / w;
        for (int i = 0; i < w; i++) v += pow(x[r * w + i] - m, 2) / w;
        for (int i = 0; i < w; i++)
            y[r * w + i] = (x[r * w + i] - m) / sqrt(v + 1e-6) * (double)g[i] + (double)b[i];
    }
}
enum { VT = 5, VW = 8 };                               /* tokens, width */
static void plain_block(const char *g, double *h)
{
    double u[VT * VW], qkv[VT * 3 * VW], y[VT * VW] = { 0 }, z[VT * VW], m[VT * 5];
    char name[64];
#define PART(s) strcat(strcpy(name, g), s)
    plain_norm(PART("norm1"), VT, VW, h, u);
    plain_dense(PART("attn.qkv"), VT, VW, 3 * VW, u, qkv);
    for (int head = 0; head < 2; head++)
        for (int i = 0; i < VT; i++) {
            double p[VT], sum = 0;
            for (int j = 0; j < VT; j++) {
                double s = 0;
                for (int c = head * 4; c < head * 4 + 4; c++)
                    s += qkv[i * 24 + c] * qkv[j * 24 + 8 + c];
                sum += p[j] = exp(s / 2);
            }
            for (int j = 0; j < VT; j++)
                for (int c = head * 4; c < head * 4 + 4; c++)
                    y[i * 8 + c] += p[j] / sum * qkv[j * 24 + 16 + c];
        }
    plain_dense(PART("attn.proj"), VT, VW, VW, y, z);
    for (int i = 0; i < VT * VW; i++) h[i] += z[i];
    plain_norm(PART("norm2"), VT, VW, h, u);
    plain_dense(PART("mlp.fc1"), VT, VW, 5, u, m);
    for (int i = 0; i < VT * 5; i++) m[i] *= .5 * erfc(-m[i] / sqrt(2));
    plain_dense(PART("mlp.fc2"), VT, 5, VW, m, z);
    for (int i = 0; i < VT * VW; i++) h[i] += z[i];
#undef PART
}

/* bc: of the two axes; NULL: zeros outside of the convolution */
static void test_plain_vit(fd_arena a, const int bc[])
{
    fd_arch uvit = zoo[0], *arch = &uvit;
    if (!bc) arch->edges = FD_EDGES_PLAIN;
    fd_space s = fd_grid(&a, 2, S(4, 6), NULL, bc ? bc : S(FD_PERIODIC, FD_NEUMANN), 2);
    fd_net *net = fd_net_new(&a, arch, fd_seed(2));
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 3);
    plain_net = net;
    fd_real *x = normals(&a, 4, 48), want[48];
    double time = .37, tok[4 * 12], e[6], c[32], h[VT * VW], skip[2][VT * VW], cat[VT * 16];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 12; j++) {                 /* row, column, channel of a 2 x 3 patch */
            int r = i / 2 * 2 + j / 6, q = i % 2 * 3 + j / 2 % 3;
            tok[i * 12 + j] = (double)x[j % 2 * 24 + r * 6 + q];
        }
    plain_dense("patch_embed", 4, 12, VW, tok, h + VW);
    for (int i = 0; i < 32; i++) h[VW + i] += (double)plain("pos_embed")[i];
    for (int j = 0; j < 3; j++) {
        e[j] = cos(7 * time * pow(10000, -j / 3.));
        e[3 + j] = sin(7 * time * pow(10000, -j / 3.));
    }
    plain_dense("time0", 1, 6, 32, e, c);
    for (int i = 0; i < 32; i++) c[i] /= 1 + exp(-c[i]);
    plain_dense("time1", 1, 32, VW, c, h);
    plain_block("in_blocks.0.", h);
    memcpy(skip[0], h, sizeof h);
    plain_block("in_blocks.1.", h);
    memcpy(skip[1], h, sizeof h);
    plain_block("mid_blocks.0.", h);
    for (int l = 0; l < 2; l++) {
        for (int i = 0; i < VT; i++) {
            memcpy(cat + 16 * i, h + VW * i, VW * sizeof *h);
            memcpy(cat + 16 * i + VW, skip[1 - l] + VW * i, VW * sizeof *h);
        }
        plain_dense(l ? "out_blocks.1.skip_linear" : "out_blocks.0.skip_linear", VT, 16, VW, cat,
                    h);
        plain_block(l ? "out_blocks.1." : "out_blocks.0.", h);
    }
    plain_norm("norm", VT, VW, h, skip[0]);
    plain_dense("decoder_pred", 4, VW, 12, skip[0] + VW, tok);
    for (int o = 0; o < 2; o++) for (int i = 0; i < 4; i++) for (int j = 0; j < 6; j++) {
        double sum = (double)plain("final_layer.b")[o];
        for (int p = 0; p < 3; p++) for (int q = 0; q < 3; q++) for (int k = 0; k < 2; k++) {
            int r = i + p - 1, l = j + q - 1;
            double sign = beyond(bc ? bc[0] : -1, 4, &r) * beyond(bc ? bc[1] : -1, 6, &l);
            sum += sign * tok[(r / 2 * 2 + l / 3) * 12 + (r % 2 * 3 + l % 3) * 2 + k]
                 * (double)plain("final_layer.w")[((p * 3 + q) * 2 + k) * 2 + o];
        }
        want[o * 24 + i * 6 + j] = (fd_real)sum;
    }
    for (int mode = 0; mode < 3; mode++) {
        fd_arena b = a;
        fd_tape t = fd_tape_begin(&b, mode);
        fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 2, 24), x), &time);
        NEAR(y ? test_rel(48, y->x, want) : 1, 0, TOL(1e-13, 1e-5), "U-ViT by hand, mode %d: %s",
             mode, explain(b.st));
    }
}

/* The layers at one point, whose inputs are u [ni]: y [4]; full: all modulations. */
static void plain_layers(const fd_net *net, const fd_real *w, const double *full, int ni,
                         const double *u, double y[4])
{
    const int gabor = net->arch.kind == FD_GABOR, mod = net->arch.inr.mod;
    double h[10];
    int n = ni;
    memcpy(h, u, 6 * sizeof *u);
    for (int l = 0; l < 3; l++) {
        int out = l < 2 ? 4 : 2;
        const fd_real *W = w + net->part[2 * l].at, *c = w + net->part[2 * l + 1].at;
        for (int o = 0; o < out; o++) {
            double v = (double)c[o];
            for (int i = 0; i < n; i++) v += h[i] * (double)W[i * out + o];
            if (l < 2 && mod == FD_MOD_SCALE) v *= 1 + full[l * 8 + 4 + o];
            if (l < 2 && (mod == FD_MOD_SCALE || mod == FD_MOD_SHIFT))
                v += full[l * 4 * mod + o];
            y[o] = l == 2 ? v : sin(1.7 * v) * (gabor ? exp(-10 * v * v) : 1);
        }
        memcpy(h, y, 4 * sizeof *y);
        if (gabor) memcpy(h + 4, u, 6 * sizeof *u);
        n = gabor ? 4 + ni : 4;
    }
}

static void inr_errors(const fd_net *net, const fd_space *s, const fd_real *x, const double *time,
                       fd_tape *t, fd_status *st)
{
    enum { B = 2, P = 12 };
    fd_var *y = fd_inr(net, t, s, B, NULL, time, NULL);
    OK(!y && !strcmp(explain(st), "fd_inr: wants x [b][in][points], none where in is 0: "
                                  "b, in, points: 2, 1, 12"), "%s", explain(st));
    st->code = 0;
    y = fd_inr(net, t, s, B, fd_input(t, 3, S(B, 1, P), x), time, fd_input(t, 2, S(B, 3), x));
    OK(!y && !strcmp(explain(st), "fd_inr: wants modulations [b][fd_inr_size]: b, "
                                  "fd_inr_size: 2, 0"), "%s", explain(st));
    st->code = 0;
}

/* coordinate networks by plain loops: kind, modulation, latent */
static void test_plain_coords(fd_arena mem)
{
    for (int k = 0; k < 48; k++) {
        fd_arena a = mem;
        int gabor = k & 1, mod = k / 2 % 4, latent = k / 8 % 3 == 1 ? 3 : 0, in = k / 8 % 3 == 2,
            plain_edges = k < 24;
        const double pi = acos(-1);
        fd_arch arch = { .kind = gabor ? FD_GABOR : FD_SIREN, .nd = 2, .in = in, .out = 2,
                         .width = 4, .layers = 2, .time = FD_TIME_CHANNEL, .tscale = .9,
                         .edges = plain_edges ? FD_EDGES_PLAIN : FD_EDGES_SPACE,
                         .inr = { .mod = mod, .latent = latent, .omega = 1.7 } };
        enum { B = 2, P = 12 };
        fd_space s = fd_grid(&a, 2, S(3, 4), (double[]){ 2, 1 },
                             S(FD_PERIODIC, k % 2 ? FD_MIXED : FD_DIRICHLET), 1);
        fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 5);
        plain_net = net;
        ptrdiff_t mods = fd_inr_size(net), base = net->count, all;
        if (latent && mod) base = net->part[net->parts - 2].at;
        all = mod == FD_MOD_WEIGHTS ? base : 8 * mod;
        OK(mods == (!mod ? 0 : latent ? latent : all), "case %d: %d modulations", k, (int)mods);
        fd_real *m = normals(&a, 6, B * mods + 1), *x = normals(&a, 7, B * P);
        fd_real *want = fd_new(&a, fd_real, B * 2 * P), *w = fd_new(&a, fd_real, net->count);
        double *full = fd_new(&a, double, all + 1), time[B] = { .3, .8 };
        for (int b = 0; b < B; b++) {
            for (ptrdiff_t i = 0; i < all; i++) {
                full[i] = latent ? (double)plain("latent.b")[i] : (double)m[b * all + i];
                for (int j = 0; j < latent; j++)
                    full[i] += (double)m[b * latent + j] * (double)plain("latent.w")[j * all + i];
            }
            for (ptrdiff_t i = 0; i < base; i++)
                w[i] = net->w[i] + (fd_real)(mod == FD_MOD_WEIGHTS ? full[i] : 0);
            for (int p = 0; p < P; p++) {
                double u[6], y[4], u0 = p / 4 / 3.;
                double u1 = k % 2 ? (p % 4 + .5) / 4 : (p % 4 + 1) / 5.;
                int ni = 0;
                for (int i = 0; i < 2 && plain_edges; i++) u[ni++] = 2 * (i ? u1 : u0) - 1;
                for (int i = 0; i < 4 && !plain_edges; i++) {
                    double at = i < 2 ? pi * u1 : 2 * pi * u0;        /* the last axis first */
                    u[ni++] = i % 2 ? sin(at) : cos(at);
                }
                if (in) u[ni++] = (double)x[b * P + p];
                u[ni++] = 2 * .9 * time[b] - 1;
                plain_layers(net, w, full, ni, u, y);
                for (int o = 0; o < 2; o++) want[(b * 2 + o) * P + p] = (fd_real)y[o];
            }
        }
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *vm = mod ? fd_input(&t, 2, S(B, (int)mods), m) : NULL;
        fd_var *y = fd_inr(net, &t, &s, B, in ? fd_input(&t, 3, S(B, 1, P), x) : NULL, time, vm);
        NEAR(y ? test_rel(B * 2 * P, y->x, want) : 1, 0, TOL(1e-13, 1e-5), "case %d: %s", k,
             explain(a.st));
        if (mod || !in) continue;
        fd_var *z = fd_forward(net, &t, &s, fd_input(&t, 3, S(B, 1, P), x), time);
        OK(y && z && !memcmp(z->x, y->x, sizeof(fd_real) * B * 2 * P), "fd_forward is fd_inr");
        inr_errors(net, &s, x, time, &t, a.st);
    }
}

static double loss_of(const fd_net *net, const fd_space *s, int mode, fd_real *x, fd_real *y,
                      fd_arena a)
{
    double time[2] = { .3, .8 };
    fd_tape t = fd_tape_begin(&a, mode);
    int n[3] = { 2, net->arch.in, (int)s->points };
    fd_var *l = fd_mse_loss(&t, s, fd_forward(net, &t, s, fd_input(&t, 3, n, x), time), y, NULL);
    if (mode) fd_backward(&t, l);
    return l ? (double)l->x[0] : 0;
}

static const struct { const char *name; int b, n[2]; fd_arch arch; } blocks[] = {
    { "lines of a plane, by time", 2, { 61, 59 },
      { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 5, .layers = 2,
        .time = FD_TIME_FILM, .embed = 4, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 5, 6 }, .lift = 24, .proj = 22 } } },
    { "lines of a plane", 1, { 50, 77 },
      { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = 9, .layers = 2,
        .time = FD_TIME_CHANNEL, .fno = { .modes = { 3, 4 }, .proj = 30 } } },
    { "samples", 53, { 37 },
      { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 18, .layers = 2,
        .time = FD_TIME_FILM, .embed = 4,
        .fno = { .modes = { 12 }, .lift = 20, .proj = 23 } } },
    { "sines, not modulated", 2, { 61, 35 },
      { .kind = FD_SIREN, .nd = 2, .in = 1, .out = 1, .width = 33, .layers = 2, .inr.omega = 3,
        .time = FD_TIME_CHANNEL } },
    { "sines, modulated", 2, { 1501 },
      { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
        .time = FD_TIME_CHANNEL, .inr.omega = 3, .fno = { .modes = { 4 }, .lift = -1 },
        .field = { .kind = FD_SIREN, .width = 50, .layers = 2 } } },
    { "sines, several fields, samples by the dozen", 21, { 143 },
      { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 6, .width = 34, .layers = 3,
        .inr.omega = 2 } },
    { "attention", 2, { 20, 21 },
      { .kind = FD_UVIT, .nd = 2, .in = 1, .out = 1, .width = 8, .layers = 3,
        .grid = { 20, 21 }, .time = FD_TIME_TOKEN, .vit = { .heads = 2, .mlp = 66 } } },
    { "hidden layers wider than a block is long", 1, { 70 },
      { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 1,
        .fno = { .modes = { 4 }, .lift = 600, .proj = 5 } } },
    { "sines in layers", 2, { 50 },
      { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 5, .layers = 2,
        .act = FD_SIN, .fno = { .modes = { 6 }, .proj = 4 } } },
    { "wide sines", 1, { 40 },
      { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 520, .layers = 2,
        .inr.omega = .1 } },
    { "attention, hidden layers kept", 3, { 121 },
      { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 68, .layers = 1, .grid = { 121 },
        .time = FD_TIME_TOKEN, .vit = { .heads = 4, .mlp = 66 } } },
};

/* Fused kernels work on blocks of rows, rows of grids and samples: where there are many blocks and
 * a rest, values and gradients by weights and input are those of the composed operators. */
static void test_blocks(fd_arena mem)
{
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) {
        fd_arena a = mem;
        int b = blocks[k].b, out = blocks[k].arch.out;
        fd_space s = fd_grid(&a, blocks[k].arch.nd, blocks[k].n, NULL, NULL, out);
        fd_net *net = fd_net_new(&a, &blocks[k].arch, fd_seed(2));
        if (!net) { OK(0, "%s: %s", blocks[k].name, explain(a.st)); return; }
        shake(net, 8);
        int n[3] = { b, 1, (int)s.points };
        ptrdiff_t size = b * s.points, count[3] = { size * out, size, net->count };
        fd_real *x = normals(&a, 1, size), *y = normals(&a, 2, size * out), *got[3][3];
        double time[64], loss[3];
        for (int i = 0; i < b; i++) time[i] = (i + .3) / b;
        for (int mode = FD_EVAL; mode <= FD_GRAD2; mode++) {
            fd_real **to = got[mode];
            for (int i = 0; i < 3; i++) to[i] = fd_new(&a, fd_real, count[i]);
            fd_arena c = a;
            fd_tape t = fd_tape_begin(&c, mode);
            fd_var *in = fd_param(&t, 3, n, x, NULL), *u = fd_forward(net, &t, &s, in, time);
            fd_var *d = NULL;
            fd_var *l = fd_mse_loss(&t, &s, u, y, NULL);
            if (!l) { OK(0, "%s: %s", blocks[k].name, explain(a.st)); return; }
            loss[mode] = (double)l->x[0];
            memcpy(to[0], u->x, (size_t)count[0] * sizeof *x);
            if (!mode) continue;
            memset(net->g, 0, (size_t)net->count * sizeof *net->g);
            fd_backward(&t, l);
            fd_grad(&t, l, NULL, 1, &in, &d);
            if (!d) { OK(0, "%s: %s", blocks[k].name, explain(a.st)); return; }
            memcpy(to[1], d->x, (size_t)count[1] * sizeof *x);
            memcpy(to[2], net->g, (size_t)count[2] * sizeof *x);
        }
        NEAR(loss[FD_GRAD], loss[FD_GRAD2], TOL(1e-12, 1e-5) * loss[FD_GRAD2], "%s: loss",
             blocks[k].name);
        OK(!memcmp(got[FD_EVAL][0], got[FD_GRAD][0], (size_t)count[0] * sizeof *x),
           "%s: the same bits without gradients", blocks[k].name);
        for (int i = 0; i < 3; i++)
            NEAR(test_rel(count[i], got[FD_GRAD][i], got[FD_GRAD2][i]), 0,
                 TOL(1e-12, i ? 1e-4 : 1e-5), "%s: %s", blocks[k].name,
                 i == 0 ? "values" : i == 1 ? "gradient by the input" : "by the weights");
    }
}

/* The model and its vjp; the same in pieces. */
static void network_as_model(int k, const fd_net *net, const fd_space *s, const fd_real *x,
                             const fd_real *y, fd_arena a)
{
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    const ptrdiff_t size = fd_size(s);
    const double h = TOL(1e-4, 4e-3);
    fd_model m = fd_net_model(&a, net, FD_X0);
    double time[2] = { .3, .8 };
    fd_real *u = fd_new(&a, fd_real, 2 * size), *v = fd_new(&a, fd_real, 2 * size);
    m.vjp(m.self, s, 2, x, time, y, v, a);
    double dot = 0, diff = 0;
    fd_real *q = normals(&a, 9, 2 * size), *xq = fd_new(&a, fd_real, 2 * size);
    for (int j = 0; j < 4; j++) {
        for (ptrdiff_t i = 0; i < 2 * size; i++) xq[i] = x[i] + (fd_real)(step[j] * h) * q[i];
        m.eval(m.self, s, 2, xq, time, u, a);
        for (ptrdiff_t i = 0; i < 2 * size; i++)
            diff += c[j] * (double)u[i] * (double)y[i] / (12 * h);
    }
    for (ptrdiff_t i = 0; i < 2 * size; i++) dot += (double)v[i] * (double)q[i];
    NEAR(dot, diff, TOL(1e-5, .05) * (1 + fabs(dot)), "network %d: vjp", k);
    m.eval(m.self, s, 2, x, time, u, a);
    for (int i = 0; i < 2; i++)
        m.eval(m.self, s, 1, x + i * size, time + i, xq + i * size, a);
    OK(!memcmp(xq, u, sizeof *u * (size_t)(2 * size)), "network %d: a batch in pieces", k);
}

static void test_network_gradients(fd_arena mem)
{
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    for (int k = 0; k < ZOO; k++) {
        fd_arena a = mem;
        int most = test_most_threads();
        fd_space s = zoo_space(&a, &zoo[k]);
        fd_net *net = fd_net_new(&a, &zoo[k], fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 8);
        ptrdiff_t size = fd_size(&s);
        fd_real *x = normals(&a, 1, 2 * size), *y = normals(&a, 2, 2 * size);
        fd_real *g = fd_new(&a, fd_real, net->count);
        double l = loss_of(net, &s, FD_GRAD, x, y, a), largest = 0, h = TOL(1e-4, 2e-2);
        memcpy(g, net->g, (size_t)net->count * sizeof *g);
        for (int n = 1; n < 3; n++) {
            memset(net->g, 0, (size_t)net->count * sizeof *g);
            test_use_threads(n);
            OK(loss_of(net, &s, FD_EVAL, x, y, a) == l && loss_of(net, &s, FD_GRAD, x, y, a) == l
               && !memcmp(net->g, g, (size_t)net->count * sizeof *g),
               "network %d: the same bits without gradients, with %d threads", k, n);
        }
        memset(net->g, 0, (size_t)net->count * sizeof *g);
        NEAR(loss_of(net, &s, FD_GRAD2, x, y, a), l, TOL(1e-12, 1e-5) * l, "network %d: modes", k);
        NEAR(test_rel(net->count, net->g, g), 0, TOL(1e-12, 1e-4), "network %d: modes", k);
        for (ptrdiff_t i = 0; i < net->count; i++)
            largest = fmax(largest, fabs((double)g[i]));
        for (ptrdiff_t i = 0; i < net->count; i += 1 + net->count / 150) {
            fd_real was = net->w[i];
            double d = 0;
            for (int j = 0; j < 4; j++) {
                net->w[i] = (fd_real)((double)was + step[j] * h);
                d += c[j] / (12 * h) * loss_of(net, &s, FD_EVAL, x, y, a);
            }
            net->w[i] = was;
            NEAR((double)g[i], d, TOL(1e-8, 2e-2) * largest, "network %d: weight %d", k, (int)i);
        }
        network_as_model(k, net, &s, x, y, a);
        OK(!a.st->code, "%s", explain(a.st));
#ifndef FD_NO_STDIO
        const char *path = test_path("arch.safetensors");
        fd_net *again;
        fd_net_save(a.st, path, net, NULL, NULL, a);
        fd_net_load(&a, path, &again, NULL);
        OK(again && !memcmp(&again->arch, &net->arch, sizeof net->arch)
           && !memcmp(again->w, net->w, sizeof *net->w * (size_t)net->count), "checkpoint %d: %s",
           k, explain(a.st));
#endif
        fd_opt *o = fd_opt_new(&a, net, NULL);
        for (int i = 0; i < 25; i++) {
            memset(net->g, 0, (size_t)net->count * sizeof *g);
            loss_of(net, &s, FD_GRAD, x, y, a);
            fd_opt_step(o, net, a.st);
        }
        OK(loss_of(net, &s, FD_EVAL, x, y, a) < l, "network %d learns", k);
        test_use_threads(most);
    }
}

/* ---- Labels ---- */

static double label_loss(fd_net *net, const fd_space *s, int mode, const int *label,
                         const fd_real *x, const fd_real *y, fd_real *out, fd_arena a)
{
    const double time[3] = { .2, .5, .9 };
    fd_tape t = fd_tape_begin(&a, mode);
    fd_var *in = fd_input(&t, 3, S(3, s->ch, (int)s->points), x);
    fd_var *u = fd_forward_label(net, &t, s, in, time, label);
    fd_var *l = fd_mse_loss(&t, s, u, y, NULL);
    if (mode) fd_backward(&t, l);
    if (u && out) memcpy(out, u->x, (size_t)fd_count(u) * sizeof *out);
    return l ? (double)l->x[0] : NAN;
}

/* A network k with labels has a checkpoint, and refuses those that it does not have. */
static void label_rest(int k, fd_net *net, fd_net *bare, const fd_space *s, int *label,
                       const fd_real *x, const fd_real *y, fd_arena a)
{
#ifndef FD_NO_STDIO
    fd_net *again;
    fd_net_save(a.st, test_path("label.safetensors"), net, NULL, NULL, a);
    fd_net_load(&a, test_path("label.safetensors"), &again, NULL);
    OK(again && again->arch.labels == 3
       && !memcmp(again->w, net->w, sizeof *net->w * (size_t)net->count),
       "network %d: its checkpoint: %s", k, explain(a.st));
#endif
    for (int bad = 0; bad < 4; bad++) {
        label[0] = bad ? -2 : 3;
        if (bad < 2) label_loss(net, s, FD_EVAL, label, x, y, NULL, a);
        else if (bad == 2) label_loss(bare, s, FD_EVAL, label, x, y, NULL, a);
        else fd_net_labelled(&a, net, FD_X0, 3);
        OK(a.st->code == FD_EARG, "wrong label %d: %s", bad, explain(a.st));
        a.st->code = FD_OK;
    }
}

/* what is told of each function, in networks of every kind that takes it */
static void test_labels(fd_arena mem)
{
    static const int of[6] = { 0, 5, 6, 8, 12, 14 };
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    for (int k = 0; k < 6; k++) {
        fd_arena a = mem;
        fd_arch arch = zoo[of[k]];
        fd_space s = zoo_space(&a, &zoo[of[k]]);
        arch.labels = 3;
        int size = (int)fd_size(&s), label[3] = { 2, -1, 0 };
        int vit = arch.kind == FD_VIT || arch.kind == FD_UVIT;
        fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
        fd_net *bare = fd_net_new(&a, &zoo[of[k]], fd_seed(2));
        fd_real *x = normals(&a, 1, 3 * size), *y = normals(&a, 2, 3 * size);
        fd_real *u = normals(&a, 3, 6 * size);
        if (!net || !bare) { OK(0, "%s", explain(a.st)); return; }
        int wide = vit ? arch.width : net->arch.embed, at = 0;
        OK(net->count == bare->count + 4 * wide,
           "network %d: a row for each label and one for none", of[k]);
        shake(net, 8);
        for (int i = 0; i < net->parts; i++)
            if (!strcmp(net->part[i].name, "label")) at = (int)net->part[i].at;
        double l = label_loss(net, &s, FD_GRAD, label, x, y, u, a), most = 0, h = TOL(1e-4, 2e-2);
        NEAR(label_loss(net, &s, FD_GRAD2, label, x, y, NULL, a), l, TOL(1e-12, 1e-5) * l,
             "network %d: modes", of[k]);
        for (int i = 0; i < 4 * wide; i++) most = fmax(most, fabs((double)net->g[at + i]));
        for (int i = 0; i < 4 * wide; i++) {
            fd_real was = net->w[at + i];
            double d = 0;
            for (int j = 0; j < 4; j++) {
                net->w[at + i] = (fd_real)((double)was + step[j] * h);
                d += c[j] / (12 * h) * label_loss(net, &s, FD_EVAL, label, x, y, NULL, a);
            }
            net->w[at + i] = was;
            NEAR((double)net->g[at + i] / 2, d, TOL(1e-8, 2e-2) * most, "network %d: gradient %d",
                 of[k], i);
            OK(i / wide != 1 || net->g[at + i] == 0, "network %d: a label that nobody had",
               of[k]);
        }
        /* models of one label and of none are its functions, and so is a batch */
        const double time[3] = { .2, .5, .9 };
        for (int i = 0; i < 3; i++) {
            fd_model m = fd_net_labelled(&a, net, FD_X0, label[i]);
            m.eval(m.self, &s, 1, x + i * size, time + i, u + 3 * size, a);
            NEAR(test_rel(size, u + 3 * size, u + i * size), 0, TOL(1e-12, 1e-5),
                 "network %d, label %d", of[k], i);
        }
        fd_model none = fd_net_model(&a, net, FD_X0);
        none.eval(none.self, &s, 1, x, time, u + 3 * size, a);
        OK(test_rel(size, u + 3 * size, u) > 1e-3, "network %d: a label counts", of[k]);
        /* the row of another label in its place */
        memcpy(net->w + at + wide, net->w + at + 2 * wide, (size_t)wide * sizeof *x);
        label[0] = 1;
        label_loss(net, &s, FD_EVAL, label, x, y, u + 3 * size, a);
        NEAR(test_rel(size, u + 3 * size, u), 0, TOL(1e-12, 1e-5),
             "network %d: equal rows, equal answers", of[k]);
        label_rest(of[k], net, bare, &s, label, x, y, a);
    }
    fd_arch none = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .labels = 2 };
    OK(!fd_net_new(&mem, &none, fd_seed(1)) && mem.st->code == FD_EARG, "labels without time: %s",
       explain(mem.st));
    mem.st->code = FD_OK;
}

/* Positions on another grid: learned ones that are linear in the place stay so between the ends;
 * fixed ones are those of the place. Patches 1, no blocks' work but a copy of the positions. */
static void test_positions(fd_arena mem)
{
    for (int pos = FD_POS_WAVES; pos <= FD_POS_NONE; pos++)
        for (int n = 6; n <= 12; n += 3) {
            fd_arena a = mem;
            fd_arch arch = { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
                             .grid = { 6 }, .vit = { .heads = 1, .patch = { 1 }, .pos = pos } };
            fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
            fd_space s = fd_grid(&a, 1, &n, NULL, NULL, 1);
            if (!net) { OK(0, "%s", explain(a.st)); return; }
            memset(net->w, 0, (size_t)net->count * sizeof *net->w);
            plain_net = net;
            net->w[plain("final_layer.w") - net->w + 1] = 1;
            net->w[plain("norm.g") - net->w + 1] = 1;
            net->w[plain("decoder_pred.w") - net->w + 1] = 1;
            for (int i = 0; i < 24 && pos == FD_POS_LEARNED; i++)
                net->w[plain("pos_embed") - net->w + i] = (fd_real)(i % 4 * (i / 4 - .3));
            fd_real x[12] = { 0 };
            fd_tape t = fd_tape_begin(&a, FD_EVAL);
            fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, n), x), NULL);
            for (int i = 0; i < n && y; i++) {
                double u = (i + .5) * 6 / n - .5, p[4] = { 0 }, mean = 0, var = 0;
                double at = u < 0 ? 0 : u > 5 ? 5 : u;
                for (int j = 0; j < 4; j++) {
                    if (pos == FD_POS_LEARNED) p[j] = j * (at - .3);
                    if (pos == FD_POS_WAVES)
                        p[j] = j < 2 ? cos(u * pow(.01, j)) : sin(u * pow(.01, j - 2));
                    mean += p[j] / 4;
                }
                for (int j = 0; j < 4; j++) var += pow(p[j] - mean, 2) / 4;
                NEAR((double)y->x[i], (p[1] - mean) / sqrt(var + 1e-6), TOL(1e-12, 3e-4),
                     "positions %d, token %d of %d", pos, i, n);
            }
            OK(y != NULL, "%s", explain(a.st));
        }
}

/* U-shaped operators written out in public operators, 1-D: every join, change of grid, norm and
 * scale */
static fd_var *u_part(fd_tape *t, const char *stem, const char *end)
{
    char name[64];
    const fd_real *w = plain(strcat(strcpy(name, stem), end));
    for (int i = 0; i < plain_net->parts; i++) {
        const fd_part *p = &plain_net->part[i];
        if (!strcmp(p->name, name)) return fd_input(t, p->nd, p->n, w);
    }
    return NULL;
}
static fd_var *u_dense(fd_tape *t, const char *stem, fd_var *x)
{
    return fd_add(t, fd_matmul(t, 0, 0, x, u_part(t, stem, ".w")), u_part(t, stem, ".b"));
}
static fd_var *u_conv(fd_tape *t, const char *stem, fd_var *h)
{
    fd_var *R = u_part(t, stem, "spectral");
    fd_var *u = R ? fd_spectral(t, h, R, 1, S(0), S(R->n[0] - 1)) : NULL;
    return fd_add(t, fd_add(t, u, fd_matmul(t, 0, 0, h, u_part(t, stem, "skip"))),
                  u_part(t, stem, "bias"));
}
static fd_var *u_film(fd_tape *t, fd_var *u, fd_var *film, int at)
{
    int w = u ? u->n[2] : 1;
    fd_var *gamma = fd_reshape(t, fd_slice(t, film, 1, at, w), 3, S(1, 1, w));
    fd_var *beta = fd_reshape(t, fd_slice(t, film, 1, at + w, w), 3, S(1, 1, w));
    return fd_add(t, fd_add(t, u, fd_mul(t, u, gamma)), beta);
}
static fd_var *u_normed(fd_tape *t, const char *stem, fd_var *h, int low)
{
    int n = h ? h->n[1] : 1;
    if (low < n) h = fd_regrid(t, fd_regrid(t, h, 1, NULL, &low), 1, NULL, &n);
    return fd_groupnorm(t, h, plain_net->arch.fno.groups, 0, u_part(t, stem, ".g"),
                        u_part(t, stem, ".b"), 1e-6);
}
static fd_var *u_res(fd_tape *t, int k, fd_var *h, fd_var *film, int at, int low)
{
    char stem[6][32];
    static const char *const end[] = { "norm1", "conv1.", "norm2", "conv2.", "shortcut" };
    for (int i = 0; i < 5; i++) snprintf(stem[i], sizeof *stem, "step%d.%s", k, end[i]);
    fd_var *u = u_conv(t, stem[1], fd_map(t, u_normed(t, stem[0], h, low), FD_SILU));
    u = fd_map(t, u_film(t, u_normed(t, stem[2], u, low), film, at), FD_SILU);
    u = u_conv(t, stem[3], u);
    return fd_add(t, u,
                  h && u && h->n[2] == u->n[2] ? h : fd_matmul(t, 0, 0, h, u_part(t, stem[4], "")));
}

static void test_u_composed(fd_arena mem)
{
    for (int unet = 0; unet < 2; unet++) {
        fd_arena a = mem;
        enum { N = 20, PAD = 4 };
        fd_arch arch = { .kind = unet ? FD_FNO_UNET : FD_UNO, .nd = 1, .in = 1, .out = 1,
                         .width = 2, .layers = 1, .time = FD_TIME_FILM, .embed = 4, .tscale = 2,
                         .fno = { .modes = { 8 }, .pad = { .2, .2 }, .groups = unet ? 2 : 0 },
                         .u = { .levels = 2, .mult = { 1, 2 }, .scale = { 1, .5 } } };
        fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
        fd_space s = fd_grid(&a, 1, S(N), NULL, NULL, 1);
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 4);
        plain_net = net;
        fd_real *x = normals(&a, 1, N), zero[2 * PAD] = { 0 }, e[4];
        double time = .4;
        for (int i = 0; i < 2; i++) {
            e[i] = (fd_real)cos(.8 * pow(.01, i));
            e[2 + i] = (fd_real)sin(.8 * pow(.01, i));
        }
        fd_tape t = fd_tape_begin(&a, FD_GRAD2);
        fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N), x), &time);
        fd_var *c = fd_map(&t, u_dense(&t, "time0", fd_input(&t, 2, S(1, 4), e)), FD_SILU), *v[9];
        fd_var *h;
        c = u_dense(&t, "film", fd_map(&t, u_dense(&t, "time1", c), FD_SILU));
        v[0] = fd_concat(&t, u_dense(&t, "lift0", fd_input(&t, 3, S(1, N, 1), x)),
                         fd_input(&t, 3, S(1, PAD, 2), zero), 1);
        if (!unet) {                                /* 2 -> 2 on 24, -> 4 on 12, -> 2 on 24, -> 2 */
            h = v[1] = fd_map(&t, u_film(&t, u_conv(&t, "step0.", v[0]), c, 0), FD_GELU);
            h = fd_regrid(&t, u_conv(&t, "step1.", h), 1, NULL, S(12));
            h = fd_map(&t, u_film(&t, h, c, 4), FD_GELU);
            h = fd_regrid(&t, u_conv(&t, "step2.", h), 1, NULL, S(24));
            h = fd_concat(&t, fd_map(&t, u_film(&t, h, c, 12), FD_GELU), v[1], 2);
            h = fd_map(&t, u_film(&t, u_conv(&t, "step3.", h), c, 16), FD_GELU);
            h = fd_concat(&t, h, v[0], 2);
        } else {                                      /* 8 modes on 24 points, 4 on 12 */
            v[1] = u_res(&t, 0, v[0], c, 0, 9);
            v[2] = u_conv(&t, "step1.", fd_regrid(&t, v[1], 1, NULL, S(12)));
            v[3] = u_res(&t, 2, v[2], c, 4, 5);
            h = u_res(&t, 4, u_res(&t, 3, v[3], c, 12, 5), c, 20, 5);
            h = u_res(&t, 5, fd_concat(&t, h, v[3], 2), c, 28, 5);
            h = u_res(&t, 6, fd_concat(&t, h, v[2], 2), c, 36, 5);
            h = u_conv(&t, "step7.", fd_regrid(&t, h, 1, NULL, S(24)));
            h = u_res(&t, 8, fd_concat(&t, h, v[1], 2), c, 44, 9);
            h = fd_map(&t, u_res(&t, 9, fd_concat(&t, h, v[0], 2), c, 48, 9), FD_SILU);
        }
        h = u_dense(&t, "proj0", fd_slice(&t, h, 1, 0, N));
        NEAR(y && h ? test_rel(N, y->x, h->x) : 1, 0, TOL(1e-13, 1e-5), "network %d by parts: %s",
             unet, explain(a.st));
    }
}

/* Transformers on points: written out for one that reads by latent tokens; a grid is its cloud, in
 * any order; a point of weight w is two points with w in all; queries are apart from each other. */
static fd_var *pt_norm(fd_tape *t, const char *g, const char *stem, fd_var *x)
{
    char name[32];
    strcat(strcpy(name, g), stem);
    return fd_layernorm(t, x, u_part(t, name, ".g"), u_part(t, name, ".b"), 1e-6);
}
static fd_var *pt_dense(fd_tape *t, const char *g, const char *stem, fd_var *x)
{
    char name[32];
    return u_dense(t, strcat(strcpy(name, g), stem), x);
}
static fd_var *pt_block(fd_tape *t, const char *g, fd_var *h, fd_var *from, int heads,
                        const fd_real *weight)
{
    fd_var *u = pt_norm(t, g, "norm1", h), *q, *k, *v;
    if (from) {
        q = pt_dense(t, g, "attn.q", u);
        u = pt_dense(t, g, "attn.kv", pt_norm(t, g, "normk", from));
        k = fd_slice(t, u, 2, 0, 4);
        v = fd_slice(t, u, 2, 4, 4);
    } else {
        u = pt_dense(t, g, "attn.qkv", u);
        q = fd_slice(t, u, 2, 0, 4);
        k = fd_slice(t, u, 2, 4, 4);
        v = fd_slice(t, u, 2, 8, 4);
    }
    h = fd_add(t, h, pt_dense(t, g, "attn.proj", fd_attention_over(t, q, k, v, heads, weight)));
    u = fd_map(t, pt_dense(t, g, "mlp.fc1", pt_norm(t, g, "norm2", h)), FD_GELU);
    return fd_add(t, h, pt_dense(t, g, "mlp.fc2", u));
}

/* Blocks over the points of a cloud: those of a grid in another order, one of them cut in two. */
static void points_cloud(fd_arena a)
{
    enum { B = 2 };
    const double time[B] = { .3, .8 };
    fd_real *x = normals(&a, 1, B * 12);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_net *net = fd_net_new(&a, &zoo[12], fd_seed(2));
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 4);
    fd_space g = fd_grid(&a, 2, S(3, 4), (double[]){ 2, 1 }, NULL, 1);
    fd_real at2[13 * 2], w2[13], b2[13], x2[B * 13];
    fd_real q2[2 * 2] = { (fd_real)1.1, (fd_real).4, 0, (fd_real).25 };
    int order[12];
    fd_perm(fd_seed(3), 12, order);
    for (int i = 0; i < 13; i++) {                    /* point 12 is the first one again */
        int k = order[i % 12];
        at2[2 * i] = (fd_real)fd_coord(&g, 0, k / 4);
        at2[2 * i + 1] = (fd_real)fd_coord(&g, 1, k % 4);
        w2[i] = (fd_real)(i == 0 ? .03 : i == 12 ? .07 : .1);
        b2[i] = 1;
        for (int b = 0; b < B; b++) x2[b * 13 + i] = x[b * 12 + k];
    }
    fd_space c = fd_dense(&g, 12, 1, b2, b2, 1), d = fd_dense(NULL, 13, 1, b2, w2, 1);
    fd_space far = fd_dense(NULL, 2, 1, b2, b2, 1);
    fd_real x12[B * 12];
    for (int i = 0; i < B * 12; i++) x12[i] = x2[i / 12 * 13 + i % 12];
    memcpy(d.len, g.len, sizeof d.len);
    memcpy(far.len, g.len, sizeof d.len);
    c.at = d.at = at2;
    far.at = q2;
    fd_var *y = fd_forward(net, &t, &g, fd_input(&t, 3, S(B, 1, 12), x), time);
    fd_var *z = fd_forward(net, &t, &c, fd_input(&t, 3, S(B, 1, 12), x12), time);
    fd_var *v[3] = { fd_query(net, &t, &g, fd_input(&t, 3, S(B, 1, 12), x), time, &far),
                     fd_query(net, &t, &c, fd_input(&t, 3, S(B, 1, 12), x12), time, &far),
                     fd_query(net, &t, &d, fd_input(&t, 3, S(B, 1, 13), x2), time, &far) };
    if (!y || !z || !v[0] || !v[1] || !v[2]) { OK(0, "%s", explain(a.st)); return; }
    for (int i = 0; i < B * 12; i++)
        NEAR((double)z->x[i], (double)y->x[i / 12 * 12 + order[i % 12]], TOL(1e-13, 1e-5),
             "point %d", i);
    for (int i = 1; i < 3; i++)
        NEAR(test_rel(2 * B, v[i]->x, v[0]->x), 0, TOL(1e-12, 1e-5),
             i > 1 ? "a point cut in two" : "a cloud");
    fd_model m = fd_net_model(&a, net, FD_X0);        /* a sampler's model on a cloud */
    m.eval(m.self, &c, B, x12, time, x2, a);
    OK(!memcmp(x2, z->x, sizeof(fd_real) * B * 12), "as a model: %s", explain(a.st));
    c.at = NULL;
    OK(!fd_forward(net, &t, &c, fd_input(&t, 3, S(B, 1, 12), x12), time) && a.st->code == FD_ESHAPE,
       "%s", explain(a.st));
    a.st->code = 0;
}

static void test_points(fd_arena mem)
{
    enum { P = 6, B = 2 };
    fd_arena a = mem;
    fd_arch arch = zoo[13];
    fd_net *net;
    arch.points.pixels = 0;
    fd_real *x = normals(&a, 1, B * 2 * P), at[P], weight[P], one[P], feat[B * P * 8];
    fd_real ask[B * 3 * 6];
    fd_real to[3] = { (fd_real).21, (fd_real).5, (fd_real).83 };
    const double time[B] = { .3, .8 };
    for (int i = 0; i < P; i++) {
        at[i] = (fd_real)((i + .3 * (i % 3)) / P);
        weight[i] = (fd_real)(.2 + .1 * (i % 4));
        one[i] = 1;
    }
    fd_space s = fd_dense(NULL, P, 1, one, weight, 2), r = fd_dense(NULL, 3, 1, one, one, 2);
    s.at = at;
    r.at = to;
    for (int e = 0; e < 3; e++) {                     /* plain, periodic, Neumann */
        fd_arena own = a;
        arch.edges = e ? FD_EDGES_SPACE : FD_EDGES_PLAIN;
        s.bc[0] = e == 2 ? FD_NEUMANN : FD_PERIODIC;
        net = fd_net_new(&own, &arch, fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 4);
        plain_net = net;
        int n = e ? 5 : 6;
        for (int b = 0; b < B; b++)
            for (int i = 0; i < P + 3; i++) {
                double u = (double)(i < P ? at[i] : to[i - P]);
                fd_real *f = i < P ? feat + (b * P + i) * (n + 2) : ask + (b * 3 + i - P) * n;
                for (int c = 0; c < 2 && i < P; c++) *f++ = x[(b * 2 + c) * P + i];
                if (!e) *f++ = (fd_real)(2 * u - 1);
                for (int k = 0; k < 2; k++) {
                    *f++ = (fd_real)cos(acos(-1) * (k + 1) * (e == 1 ? 2 : 1) * u);
                    *f++ = (fd_real)sin(acos(-1) * (k + 1) * (e == 1 ? 2 : 1) * u);
                }
                *f = (fd_real)(2 * time[b] - 1);
            }
        fd_tape t = fd_tape_begin(&own, FD_EVAL);
        fd_var *vx = fd_input(&t, 3, S(B, 2, P), x), *y = fd_query(net, &t, &s, vx, time, &r);
        fd_var *h = u_dense(&t, "token1", fd_input(&t, 3, S(B, P, n + 2), feat));
        fd_var *q = u_dense(&t, "query1", fd_input(&t, 3, S(B, 3, n), ask));
        h = pt_block(&t, "read0.", fd_spread(&t, u_part(&t, "latent", ""), 3, S(B, 3, 4)), h, 1,
                     weight);
        h = pt_block(&t, "blocks.1.", pt_block(&t, "blocks.0.", h, NULL, 1, NULL), NULL, 1, NULL);
        q = pt_block(&t, "answer0.", q, h, 1, NULL);
        q = u_dense(&t, "decoder_pred", pt_norm(&t, "", "norm", q));
        q = fd_permute(&t, q, S(0, 2, 1));
        NEAR(y && q ? test_rel(B * 2 * 3, y->x, q->x) : 1, 0, TOL(1e-13, 1e-5), "by parts, %d: %s",
             e,
             explain(a.st));
    }
    points_cloud(mem);
}

static void tucker_ranks(fd_arena a)
{
    fd_arch arch = { .kind = FD_UNO, .nd = 2, .in = 1, .out = 1, .width = 16,
                     .fno.modes = { 16, 16 }, .u = { .levels = 1, .rank = .1 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    plain_net = net;
    const fd_part *p = &net->part[2];
    OK(!strcmp(p->name, "step0.core") && p->n[0] == 9 && p->n[1] == 5 && p->n[2] == 9
       && p->n[3] == 9,
       "%s %d %d %d %d, not .544 times 16 9 16 16", p->name, p->n[0], p->n[1], p->n[2], p->n[3]);
    double square = 1;              /* of the entries of the whole: E |core|^2 prod E |u|^2 ranks */
    for (int i = 0; i < 5; i++) {
        double sum = 0, n = 1;
        for (int j = 0; j < p[i].nd - 1; j++) n *= p[i].n[j];
        for (int j = 0; j < 2 * n; j++) sum += pow((double)net->w[p[i].at + j], 2) / n;
        square *= sum * (i ? 1 : n);
    }
    NEAR(square, 1 / 16., .02, "size of the first weights");
}

/* a U-NO of Tucker tensors is the one with the whole weights; their ranks */
static void test_tucker(fd_arena a)
{
    fd_arch arch = zoo[16];
    fd_space s = zoo_space(&a, &zoo[16]);
    fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
    arch.u.rank = 0;
    fd_net *whole = fd_net_new(&a, &arch, fd_seed(2));
    if (!net || !whole) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 4);
    plain_net = whole;
    for (int i = 0; i < net->parts; i++) {
        const fd_part *p = &net->part[i];
        if (strstr(p->name, "factor")) continue;
        char name[64];
        strcpy(name, p->name);
        char *core = strstr(name, "core");
        if (core) strcpy(core, "spectral");
        fd_real *to = (fd_real *)(uintptr_t)plain(name);
        if (!core) {
            const ptrdiff_t end = i + 1 < net->parts ? p[1].at : net->count;
            memcpy(to, net->w + p->at, (size_t)(end - p->at) * sizeof *to);
            continue;
        }
        const fd_part *u = p + 1;                     /* four factors: modes, modes, in, out */
        for (int k = 0; k < u[0].n[0] * u[1].n[0] * u[2].n[0] * u[3].n[0]; k++) {
            double sum[2] = { 0, 0 };
            for (int r = 0; r < p->n[0] * p->n[1] * p->n[2] * p->n[3]; r++) {
                double re = (double)net->w[p->at + 2 * r], im = (double)net->w[p->at + 2 * r + 1];
                for (int d = 3, kk = k, rr = r; d >= 0; d--) {
                    const fd_real *f = net->w + u[d].at
                                       + 2 * (kk % u[d].n[0] * p->n[d] + rr % p->n[d]);
                    double was = re;
                    re = was * (double)f[0] - im * (double)f[1];
                    im = was * (double)f[1] + im * (double)f[0];
                    kk /= u[d].n[0];
                    rr /= p->n[d];
                }
                sum[0] += re;
                sum[1] += im;
            }
            for (int c = 0; c < 2; c++) to[2 * k + c] = (fd_real)sum[c];
        }
    }
    whole->w[whole->count - 1] = net->w[net->count - 1];
    fd_real *x = normals(&a, 1, 20);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, 20), x), NULL);
    fd_var *z = fd_forward(whole, &t, &s, fd_input(&t, 3, S(1, 1, 20), x), NULL);
    NEAR(y && z ? test_rel(20, y->x, z->x) : 1, 0, TOL(1e-13, 1e-5), "Tucker: %s", explain(a.st));
    tucker_ranks(a);
}

/* [HDM] written out; without activations and norms the same function on two grids; the two
 * embeddings of time */
static void test_hdm(fd_arena mem)
{
    fd_arena a = mem;
    enum { N = 7 };
    fd_net *net = fd_net_new(&a, &zoo[14], fd_seed(2));
    fd_space s = fd_grid(&a, 1, S(N), NULL, NULL, 1);
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 4);
    plain_net = net;
    fd_real *x = normals(&a, 1, N), e[4], z[2];
    const double time = .4, turn = 32 * acos(-1) / 1000;
    fd_normal(fd_seed(0), 2, z);
    for (int i = 0; i < 2; i++) {
        e[i] = (fd_real)cos(turn * 3 * time * (double)z[i]);
        e[2 + i] = (fd_real)sin(turn * 3 * time * (double)z[i]);
    }
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N), x), &time), *u;
    fd_var *c = u_dense(&t, "time1",
                        fd_map(&t, u_dense(&t, "time0", fd_input(&t, 2, S(1, 4), e)), FD_SILU));
    fd_var *h = fd_add(&t, u_dense(&t, "lift0", fd_input(&t, 3, S(1, N, 1), x)),
                       fd_reshape(&t, c, 3, S(1, 1, 4)));
    for (int l = 0; l < 2; l++) {
        const char *g = l ? "layer1." : "layer0.";
        char name[32];
        h = fd_map(&t, h, FD_GELU);
        h = fd_groupnorm(&t, h, 2, 1, u_part(&t, g, "norm.g"), u_part(&t, g, "norm.b"), 1e-5);
        u = fd_add(&t, fd_spectral(&t, h, u_part(&t, g, "spectral"), 1, S(0), S(2)),
                   u_part(&t, g, "bias"));
        h = fd_add(&t, u, fd_mul(&t, h, u_part(&t, g, "skip.gate")));
        u = u_dense(&t, strcat(strcpy(name, g), "mlp.fc1"), l ? h : fd_map(&t, h, FD_GELU));
        u = u_dense(&t, strcat(strcpy(name, g), "mlp.fc2"), fd_map(&t, u, FD_GELU));
        h = fd_add(&t, fd_map(&t, u, FD_GELU), fd_mul(&t, h, u_part(&t, g, "mlp.gate")));
    }
    h = u_dense(&t, "proj1", fd_map(&t, u_dense(&t, "proj0", h), FD_GELU));
    NEAR(y && h ? test_rel(N, y->x, h->x) : 1, 0, TOL(1e-13, 1e-5), "by parts: %s", explain(a.st));

    fd_arch arch = zoo[14];
    arch.fno.linear = 1;
    net = fd_net_new(&a, &arch, fd_seed(2));
    fd_space f = fd_grid(&a, 1, S(16), NULL, NULL, 1);
    fd_cov *law = fd_cov_white(&a, &s, 1, 3);
    fd_real xs[N], xf[16], up[16];
    if (!net || !law) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 4);
    fd_cov_draw(law, fd_seed(3), 0, 1, xs, a);
    fd_resample(&s, &f, 1, xs, xf, a);
    y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N), xs), &time);
    u = fd_forward(net, &t, &f, fd_input(&t, 3, S(1, 1, 16), xf), &time);
    if (!y || !u) { OK(0, "%s", explain(a.st)); return; }
    fd_resample(&s, &f, 1, y->x, up, a);
    NEAR(test_rel(16, up, u->x), 0, TOL(1e-13, 1e-5), "two grids");
}

/* U-shaped operators as the identity: all spectral weights 0, the 1x1 maps the first channels of
 * their input. What comes out is what the way through all levels lets pass: the modes of the
 * coarsest grid. Then a linear one with every weight: the same function of a band-limited input on
 * odd and even grids. */
static void test_u_shapes(fd_arena mem)
{
    for (int k = 0; k < 4; k++) {
        fd_arena a = mem;
        int nd = 1 + k % 2, N[2] = { 30, 34 }, coarse[2], M[2] = { 32, 45 }, fine[2] = { 64, 63 };
        fd_arch arch = { .kind = k / 2 ? FD_FNO_UNET : FD_UNO, .nd = nd, .in = 1, .out = 1,
                         .width = 2, .layers = 1, .u.levels = 3,
                         .fno = { .modes = { 8, 8 }, .linear = 1 } };
        fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
        fd_space s = fd_grid(&a, nd, N, NULL, NULL, 1), r;
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        for (int i = 0; i < nd; i++) coarse[i] = (int)(N[i] * net->arch.u.scale[2] + .5);
        r = fd_grid(&a, nd, coarse, NULL, NULL, 1);
        for (int i = 0; i < net->parts; i++) {
            const fd_part *p = &net->part[i];
            ptrdiff_t n = (i + 1 < net->parts ? p[1].at : net->count) - p->at;
            const char *stem = strrchr(p->name, '.') ? strrchr(p->name, '.') + 1 : p->name;
            memset(net->w + p->at, 0, (size_t)n * sizeof(fd_real));
            int through = !strcmp(stem, "skip") && !strstr(p->name, "conv");
            if (through || !strcmp(stem, "shortcut") || !strcmp(p->name, "proj0.w")
                || !strcmp(p->name, "lift0.w"))
                for (int j = 0; j < p->n[0] && j < p->n[1]; j++)
                    net->w[p->at + j * p->n[1] + j] = 1;
        }
        fd_real *x = normals(&a, 1, s.points), *low = fd_new(&a, fd_real, s.points);
        fd_real *want = fd_new(&a, fd_real, s.points);
        fd_resample(&s, &r, 1, x, low, a);
        fd_resample(&r, &s, 1, low, want, a);
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, (int)s.points), x), NULL);
        NEAR(y ? test_rel(s.points, y->x, want) : 1, 0, TOL(1e-13, 2e-6),
             "network %d: identity, %s", k, explain(a.st));

        shake(net, 4);                      /* the U-Net's norms are not linear, but of all modes */
        fd_space sm = fd_grid(&a, nd, M, NULL, NULL, 1), sf = fd_grid(&a, nd, fine, NULL, NULL, 1);
        fd_cov *law = fd_cov_white(&a, &sf, 1, 2);
        fd_real *xm = fd_new(&a, fd_real, sm.points), *xf = fd_new(&a, fd_real, sf.points);
        fd_real *up = fd_new(&a, fd_real, sf.points);
        if (!law || !up) { OK(0, "%s", explain(a.st)); return; }
        fd_cov_draw(fd_cov_on(&a, law, &sm), fd_seed(9), 0, 1, xm, a);
        fd_cov_draw(law, fd_seed(9), 0, 1, xf, a);
        y = fd_forward(net, &t, &sm, fd_input(&t, 3, S(1, 1, (int)sm.points), xm), NULL);
        fd_var *z = fd_forward(net, &t, &sf, fd_input(&t, 3, S(1, 1, (int)sf.points), xf), NULL);
        if (!y || !z) { OK(0, "%s", explain(a.st)); return; }
        fd_resample(&sm, &sf, 1, y->x, up, a);
        NEAR(test_rel(sf.points, up, z->x), 0, TOL(1e-12, 1e-4), "network %d: two grids", k);
    }
    /* constant in, constant out */
    fd_arena a = mem;
    fd_arch arch = zoo[10];
    fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
    fd_space s = fd_grid(&a, 1, S(33), NULL, NULL, 1);
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 4);
    fd_real x[33], worst = 0;
    for (int i = 0; i < 33; i++) x[i] = (fd_real)2.385;
    double time = .4;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, 33), x), &time);
    for (int i = 0; i < 33 && y; i++)
        if (fabs((double)(y->x[i] - y->x[0])) > (double)worst) worst = y->x[i] - y->x[0];
    NEAR(y ? (double)worst : 1, 0, TOL(1e-13, 1e-5) * fabs((double)y->x[0]), "a constant field");
}

/* The points of the grid in another order, as a cloud, in network k; one point alone. */
static void field_cloud(int k, const fd_net *net, const fd_space *s, fd_tape *t, fd_var *vx,
                        const double *time, const fd_var *y, double size, fd_arena *a)
{
    const fd_arch *arch = &zoo[k];
    const int nd = arch->nd, in = arch->in, out = arch->out, P = (int)s->points, B = 2;
    fd_var *q;
    fd_real *at = fd_new(a, fd_real, P * nd), *one = fd_new(a, fd_real, P);
    int *order = fd_new(a, int, P);
    if (!order) { OK(0, "%s", explain(a->st)); return; }
    fd_perm(fd_seed(7), P, order);
    for (int i = 0; i < P; i++) {
        at[i * nd] = (fd_real)fd_coord(s, 0, nd == 2 ? order[i] / 15 : order[i]);
        if (nd == 2) at[i * nd + 1] = (fd_real)fd_coord(s, 1, order[i] % 15);
        one[i] = 1;
    }
    fd_space cloud = fd_dense(NULL, P, 1, one, one, in);
    q = fd_query(net, t, s, vx, time, &cloud);
    char want[128];
    snprintf(want, sizeof want, "fd_query: wants a grid, or points with coordinates: axes of "
                                "the network, of the space: %d, 0", nd);
    OK(!q && !strcmp(explain(a->st), want), "%s", explain(a->st));
    a->st->code = 0;
    cloud.at = at;
    q = fd_query(net, t, s, vx, time, &cloud);
    if (arch->field.pixels || arch->points.pixels) {
        OK(!q
           && !strcmp(explain(a->st),
                      "fd_query: the network takes pixels where it answers: wants grids"),
           "%s", explain(a->st));
        a->st->code = 0;
        return;
    }
    for (int i = 0; i < B * out * P && q; i++)
        NEAR((double)q->x[i], (double)y->x[i / P * P + order[i % P]], TOL(1e-13, 1e-5) * size,
             "network %d: point %d of the cloud", k, i);
    OK(q != NULL, "%s", explain(a->st));
}

/* A network without a field answers nowhere. */
static void no_field(fd_arena mem)
{
    fd_arena a = mem;
    fd_net *net = fd_net_new(&a, &zoo[1], fd_seed(2));
    fd_space s = fd_grid(&a, 1, S(8), NULL, NULL, 1), r = fd_grid(&a, 1, S(4), NULL, NULL, 1);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    double time = .3;
    fd_var *x = fd_input(&t, 3, S(1, 1, 8), normals(&a, 1, 8));
    OK(!fd_encode(net, &t, &s, x, &time) && a.st->code == FD_EARG, "%s", explain(a.st));
    a.st->code = 0;
    OK(!fd_query(net, &t, &s, x, &time, &r) && a.st->code == FD_EARG
       && !strcmp(explain(a.st),
                  "fd_query: only networks with a field, on points or of your own answer anywhere: "
                  "FD_VIT"),
       "%s", explain(a.st));
    a.st->code = 0;
    OK(!fd_encode(NULL, &t, &s, x, &time) && !fd_query(net, &t, &s, NULL, &time, &r) && !a.st->code,
       "NULL");
}

/* Networks with a field: encoding, then the field; the same function on every grid, on points, at
 * one point; an input that is the same function on two grids gives the same modulations. */
static void test_fields(fd_arena mem)
{
    for (int k = 5; k < 8; k++) {
        fd_arena a = mem;
        enum { B = 2 };
        fd_arch arch = zoo[k];
        arch.fno.linear = arch.kind == FD_FNO_BLOCK;      /* no aliasing */
        int nd = arch.nd, coarse[2] = { 9, 15 }, fine[2] = { 27, 30 }, in = arch.in, out = arch.out;
        fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
        fd_space s = fd_grid(&a, nd, coarse, NULL, NULL, in);
        fd_space f = fd_grid(&a, nd, fine, NULL, NULL, in);
        fd_cov *law = fd_cov_white(&a, &f, 1, 1);
        if (!law) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 5);
        int M = (int)fd_inr_size(net), P = (int)s.points, Q = (int)f.points;
        const double time[B] = { .3, .8 };
        fd_real *x = fd_new(&a, fd_real, B * in * P), *xf = fd_new(&a, fd_real, B * in * Q);
        fd_cov_draw(fd_cov_on(&a, law, &s), fd_seed(4), 0, B, x, a);
        fd_cov_draw(law, fd_seed(4), 0, B, xf, a);
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *vx = fd_input(&t, 3, S(B, in, P), x), *vf = fd_input(&t, 3, S(B, in, Q), xf);
        fd_var *m = fd_encode(net, &t, &s, vx, time), *mf = fd_encode(net, &t, &f, vf, time);
        if (!mf || !m) { OK(0, "%s", explain(a.st)); return; }
        OK(m->nd == 2 && m->n[1] == M, "%d modulations", M);
        NEAR(test_rel(B * M, mf->x, m->x), 0, TOL(1e-12, 1e-5), "network %d: two grids", k);
        fd_var *y = fd_forward(net, &t, &s, vx, time);
        fd_var *z = fd_inr(net, &t, &s, B, arch.field.pixels ? vx : NULL, time, m);
        fd_var *q = fd_query(net, &t, &s, vx, time, &f);
        if (!y || !z || !q) { OK(0, "%s", explain(a.st)); return; }
        OK(!memcmp(y->x, z->x, sizeof(fd_real) * (size_t)(B * out * P)), "encode, then the field");
        double worst = 0, size = 0;
        for (int i = 0; i < B * out * P; i++) {    /* i / n of the coarse grid is on the fine one */
            int p = i % P, r = nd == 2 ? p / 15 * 3 * 30 + p % 15 * 2 : 3 * p;
            worst = fmax(worst, fabs((double)(q->x[i / P * Q + r] - y->x[i])));
            size = fmax(size, fabs((double)y->x[i]));
        }
        NEAR(worst / size, 0, TOL(1e-12, 1e-4), "network %d: queries on a finer grid", k);

        field_cloud(k, net, &s, &t, vx, time, y, size, &a);
    }
    no_field(mem);
}

/* ---- Meta-learning ---- */

struct inner { const fd_net *net; const fd_space *s; const double *time; const fd_real *y; };

static fd_var *inner_loss(const void *self, fd_tape *t, fd_var *m)
{
    const struct inner *in = self;
    int b = m ? m->n[0] : 1;
    fd_var *u = fd_inr(in->net, t, in->s, b, NULL, in->time, m);
    return fd_affine(t, fd_mse_loss(t, in->s, u, in->y, NULL), b, 0);
}

/* the outer loss after the inner loop, at other times and targets; backward: gradients */
static double outer(const struct inner *in, int mode, int steps, double clip, fd_real *m,
                    fd_real *rate, fd_real *dm, fd_real *dr, const fd_real *target, fd_arena a)
{
    fd_tape t = fd_tape_begin(&a, mode);
    int n[2] = { 2, (int)fd_inr_size(in->net) };
    const double time[2] = { .9, .1 };
    fd_var *vm = fd_param(&t, 2, n, m, dm), *vr = fd_param(&t, 1, n + 1, rate, dr);
    fd_var *end = fd_adapt(&t, steps, clip, vm, vr, inner_loss, in);
    fd_var *u = fd_inr(in->net, &t, in->s, 2, NULL, time, end);
    fd_var *l = fd_mse_loss(&t, in->s, u, target, NULL);
    if (dm) fd_backward(&t, l);
    OK(l != NULL, "%s", explain(a.st));
    return l ? (double)l->x[0] : 0;
}

/* In every size of arena. */
static void meta_starved(struct inner *in, int steps, double clip, fd_real *m, fd_real *rate, int M,
                         fd_arena a)
{
    int refused = 0;
    for (size_t size = 0; size < 1 << 20; size += 512) {
        fd_status st;
        fd_arena b = fd_arena_over(a.beg, size, &st);
        fd_tape u = fd_tape_begin(&b, FD_GRAD2);
        fd_var *vm = fd_param(&u, 2, S(2, M), m, NULL);
        vm = fd_adapt(&u, steps, clip, vm, fd_input(&u, 1, &M, rate), inner_loss, in);
        fd_backward(&u, inner_loss(in, &u, vm));
        refused += st.code == FD_ENOMEM;
        if (st.code != FD_ENOMEM) { OK(!st.code && vm && refused, "%s", explain(&st)); break; }
    }
}

static void test_meta(fd_arena mem)
{
    for (int k = 0; k < 8; k++) {
        fd_arena a = mem;
        int steps = 1 + k % 3, mod = 1 + k % 3;
        double clip = k >= 6 ? .02 : 0;
        fd_arch arch = { .kind = k % 2 ? FD_GABOR : FD_SIREN, .nd = 1, .in = 0, .out = 1,
                         .width = 3, .layers = 2, .time = FD_TIME_CHANNEL,
                         .inr = { .mod = mod, .latent = k == 4 ? 2 : 0, .omega = 2 } };
        fd_space s = fd_grid(&a, 1, S(6), NULL, NULL, 1);
        fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 12);
        int M = (int)fd_inr_size(net);
        fd_real *m = normals(&a, 3, 2 * M), *rate = normals(&a, 4, M), *y = normals(&a, 5, 12);
        fd_real *target = normals(&a, 6, 12), *dm = fd_new(&a, fd_real, 2 * M);
        fd_real *dr = fd_new(&a, fd_real, M);
        for (int i = 0; i < 2 * M; i++) m[i] *= (fd_real).1;
        for (int i = 0; i < M; i++) rate[i] = (fd_real)(.2 + .1 * fabs((double)rate[i]));
        const double time[2] = { .3, .8 };
        struct inner in = { net, &s, time, y };
        double l = outer(&in, FD_GRAD2, steps, clip, m, rate, dm, dr, target, a);
        NEAR(outer(&in, FD_GRAD, steps, clip, m, rate, NULL, NULL, target, a), l,
             TOL(1e-13, 1e-5) * l, "case %d: value", k);
        double h = 3e-6, worst = 0, most = 1;           /* too small for float */
        fd_real *at[3] = { m, rate, net->w }, *grad[3] = { dm, dr, net->g };
        ptrdiff_t count[3] = { 2 * M, M, net->count };
        for (int p = 0; p < 3 && EPS < 1e-10; p++)
            for (ptrdiff_t i = 0; i < count[p]; i++) {
                fd_real was = at[p][i];
                double d = 0;
                static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
                for (int j = 0; j < 4; j++) {
                    at[p][i] = (fd_real)((double)was + step[j] * h);
                    d += c[j] / (12 * h) * outer(&in, FD_GRAD2, steps, clip, m, rate, NULL, NULL,
                                                 target, a);
                }
                at[p][i] = was;
                worst = fmax(worst, fabs(d - (double)grad[p][i]));
                most = fmax(most, fabs(d));
            }
        NEAR(worst / most, 0, 1e-7, "case %d: through %d steps", k, steps);

        /* the first step is the gradient of the loss, cut */
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *vm = fd_param(&t, 2, S(2, M), m, NULL), *g;
        fd_var *end = fd_adapt(&t, 1, clip, vm, fd_input(&t, 1, &M, rate), inner_loss, &in);
        fd_grad(&t, inner_loss(&in, &t, vm), NULL, 1, &vm, &g);
        for (int i = 0; i < 2 * M && end && g; i++) {
            double v = (double)g->x[i];
            if (clip > 0) v = v > clip ? clip : v < -clip ? -clip : v;
            NEAR((double)end->x[i], (double)m[i] - (double)rate[i % M] * v, TOL(1e-14, 1e-6),
                 "case %d: entry %d", k, i);
        }
        OK(end && g, "%s", explain(a.st));
        OK(!fd_adapt(&t, 1, 0, NULL, vm, inner_loss, &in) && !a.st->code, "NULL");

        if (k % 3 == 0) meta_starved(&in, steps, clip, m, rate, M, a);
    }
}

/* Networks that adapt: forward against the loop written out, exact gradients of weights, rates and
 * input against central differences, those of first order against the field with fixed
 * modulations. */
static const fd_arch adapts[] = {
    { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .grid = { 7 }, .width = 3, .layers = 2,
      .time = FD_TIME_CHANNEL, .inr = { .omega = 2, .rate = .3, .mod = FD_MOD_SCALE, .inner = 2 } },
    { .kind = FD_GABOR, .nd = 1, .in = 1, .out = 1, .grid = { 7 }, .width = 3, .layers = 2,
      .inr = { .omega = 2, .rate = .2, .mod = FD_MOD_WEIGHTS, .inner = 3, .rates = 1,
               .blind = 1 } },
    { .kind = FD_SIREN, .nd = 2, .in = 2, .out = 2, .grid = { 4, 3 }, .width = 4, .layers = 1,
      .time = FD_TIME_CHANNEL,
      .inr = { .omega = 2, .rate = .3, .mod = FD_MOD_SHIFT, .latent = 3, .inner = 1, .rates = 1,
               .clip = .5 } },
    { .kind = FD_GABOR, .nd = 1, .in = 1, .out = 1, .grid = { 7 }, .width = 4, .layers = 2,
      .inr = { .omega = 2, .rate = .3, .mod = FD_MOD_SHIFT, .inner = 2, .first = 1,
               .blind = 1 } } };
enum { ADAPTS = sizeof adapts / sizeof *adapts };

/* The loss of network k, with the exact gradient g of the weights. */
static void exact_gradient(int k, fd_net *net, const fd_space *s, fd_real *x, fd_real *y,
                           fd_real *g, fd_arena a)
{
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    double l = loss_of(net, s, FD_GRAD2, x, y, a), worst = 0, most = 1e-3, hh = 3e-5;
    memcpy(g, net->g, (size_t)net->count * sizeof *g);
    memset(net->g, 0, (size_t)net->count * sizeof *g);
    NEAR(loss_of(net, s, FD_EVAL, x, y, a), l, TOL(1e-13, 1e-5) * l,
         "network %d: without gradients", k);
    for (ptrdiff_t i = 0; i < net->count && EPS < 1e-10; i++) {
        fd_real was = net->w[i];
        double d = 0;
        for (int j = 0; j < 4; j++) {
            net->w[i] = (fd_real)((double)was + step[j] * hh);
            d += c[j] / (12 * hh) * loss_of(net, s, FD_EVAL, x, y, a);
        }
        net->w[i] = was;
        worst = fmax(worst, fabs(d - (double)g[i]));
        most = fmax(most, fabs(d));
    }
    NEAR(worst / most, 0, 1e-7, "network %d: exact gradient of the weights", k);
}

static void adapting_wrong(fd_arena mem)
{
    static const struct { fd_arch a; const char *what; } bad[] = {
        { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
            .fno.modes = { 2 }, .inr.inner = 1 }, "FD_FNO_BLOCK does not use" },
        { { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 2, .width = 4, .layers = 1,
            .inr = { .mod = FD_MOD_SHIFT, .inner = 1 } }, "adapt: inr.inner" },
        { { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1, .inr.inner = 1 },
          "adapt: inr.inner" },
        { { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
            .inr = { .mod = FD_MOD_SHIFT, .blind = 1 } }, "blind" } };
    for (int k = 0; k < 4; k++) {
        fd_arena a = mem;
        OK(!fd_net_new(&a, &bad[k].a, fd_seed(1)) && a.st->code == FD_EARG
           && strstr(a.st->what, bad[k].what),
           "%s", explain(a.st));
        a.st->code = 0;
    }
}

/* The loop written out, with the loss that the library has for fits: modulations m [2][M] and the
 * function u; 0 without memory. */
static int adapt_by_hand(const fd_net *net, const fd_space *s, const double *time, const fd_real *x,
                         fd_real *m, fd_real *u, fd_arena a)
{
    const fd_arch *h = &net->arch;
    const ptrdiff_t size = fd_size(s);
    const ptrdiff_t own = h->inr.rates ? net->part[net->parts - 1].at : net->count;
    const int M = (int)fd_inr_size(net), n[3] = { 2, h->in, (int)s->points };
    fd_real *by = fd_raw(&a, fd_real, 2 * M);
    if (!by) return 0;
    for (int i = 0; i < 2 * M; i++)
        by[i] = h->inr.rates ? net->w[own + i % M] : (fd_real)h->inr.rate;
    for (int i = 0; i <= h->inr.inner; i++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *vm = fd_param(&t, 2, S(2, M), m, NULL), *g = NULL;
        fd_var *f = fd_inr(net, &t, s, 2, h->inr.blind ? NULL : fd_input(&t, 3, n, x), time, vm);
        fd_grad(&t, fd_mse_loss(&t, s, f, x, NULL), NULL, 1, &vm, &g);
        if (!g) return 0;
        memcpy(u, f->x, (size_t)(2 * size) * sizeof *u);
        for (int j = 0; j < 2 * M && i < h->inr.inner; j++) {
            double d = 2 * (double)g->x[j];       /* fd_mse_loss is a mean over two functions */
            if (h->inr.clip > 0) d = fmax(-h->inr.clip, fmin(h->inr.clip, d));
            m[j] = (fd_real)((double)m[j] - (double)by[j] * d);
        }
        fd_tape_end(&t);
    }
    return 1;
}

/* The gradient of the input of network k; blind: it is 0. */
static void adapting_vjp(int k, int blind, const fd_model *model, const fd_space *s,
                         const double *time, const fd_real *x, const fd_real *y, fd_arena a)
{
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    const ptrdiff_t size = fd_size(s);
    fd_real *u = fd_raw(&a, fd_real, 2 * size), *v = fd_raw(&a, fd_real, 2 * size);
    fd_real *one = fd_raw(&a, fd_real, 2 * size), *q = normals(&a, 9, 2 * size);
    double dot = 0, diff = 0, h = 3e-5;
    if (!q) { OK(0, "%s", explain(a.st)); return; }
    model->vjp(model->self, s, 2, x, time, y, u, a);
    for (ptrdiff_t i = 0; i < 2 * size; i++) dot += (double)u[i] * (double)q[i];
    for (int j = 0; j < 4 && EPS < 1e-10; j++) {
        for (ptrdiff_t i = 0; i < 2 * size; i++) one[i] = x[i] + (fd_real)(step[j] * h) * q[i];
        model->eval(model->self, s, 2, one, time, v, a);
        for (ptrdiff_t i = 0; i < 2 * size; i++)
            diff += c[j] / (12 * h) * (double)v[i] * (double)y[i];
    }
    if (blind) OK(dot == 0, "network %d: a blind field of first order does not see x", k);
    else if (EPS < 1e-10) NEAR(dot, diff, 1e-8 * (1 + fabs(diff)), "network %d: vjp", k);
}

static void test_adapting(fd_arena mem)
{
    for (int k = 0; k < ADAPTS; k++) {
        fd_arena a = mem;
        const double time[2] = { .3, .8 };
        fd_space s = zoo_space(&a, &adapts[k]);
        fd_net *net = fd_net_new(&a, &adapts[k], fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        const fd_arch *h = &net->arch;
        ptrdiff_t size = fd_size(&s), own = net->count;
        int M = (int)fd_inr_size(net), n[3] = { 2, h->in, (int)s.points };
        if (h->inr.rates) own = net->part[net->parts - 1].at;
        OK(!h->inr.rates || net->count - own == M, "a rate for each number");
        for (ptrdiff_t i = own; i < net->count; i++)
            OK((double)net->w[i] == (double)(fd_real)h->inr.rate, "network %d: first rates", k);
        fd_normal(fd_seed(9), own, net->w);
        for (ptrdiff_t i = 0; i < own; i++) net->w[i] *= (fd_real).5;
        for (ptrdiff_t i = own; i < net->count; i++)
            net->w[i] = (fd_real)(.1 + .03 * (double)(i - own));
        fd_real *x = normals(&a, 1, 2 * size), *y = normals(&a, 2, 2 * size);

        /* the loop written out, with the loss that the library has for fits */
        fd_real *m = fd_new(&a, fd_real, 2 * M), *u = fd_raw(&a, fd_real, 2 * size);
        if (!u || !adapt_by_hand(net, &s, time, x, m, u, a)) { OK(0, "%s", explain(a.st)); return; }
        fd_model model = fd_net_model(&a, net, FD_X0);
        fd_real *v = fd_raw(&a, fd_real, 2 * size), *one = fd_raw(&a, fd_real, 2 * size);
        model.eval(model.self, &s, 2, x, time, v, a);
        NEAR(test_rel(2 * size, v, u), 0, TOL(1e-13, 2e-5), "network %d: the loop", k);
        for (int i = 0; i < 2; i++)
            model.eval(model.self, &s, 1, x + i * size, time + i, one + i * size, a);
        OK(!memcmp(one, v, (size_t)(2 * size) * sizeof *v), "network %d: a batch in pieces", k);

        fd_real *g = fd_new(&a, fd_real, net->count);
        exact_gradient(k, net, &s, x, y, g, a);

        /* first order: the field's own gradient at the modulations found, and by the last of its
         * steps */
        fd_real *first = fd_new(&a, fd_real, net->count);
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        loss_of(net, &s, FD_GRAD, x, y, a);
        memcpy(first, net->g, (size_t)net->count * sizeof *g);
        memset(net->g, 0, (size_t)net->count * sizeof *g);
        fd_var *f = fd_inr(net, &t, &s, 2, h->inr.blind ? NULL : fd_input(&t, 3, n, x), time,
                           fd_input(&t, 2, S(2, M), m));
        fd_backward(&t, fd_mse_loss(&t, &s, f, y, NULL));
        NEAR(test_rel(h->inr.latent ? net->part[2 * h->layers + 2].at : own, net->g, first), 0,
             TOL(1e-12, 1e-4), "network %d: first order", k);
        fd_tape_end(&t);
        OK(test_rel(own, first, g) > 1e-4, "network %d: which is not the exact one", k);

        adapting_vjp(k, h->inr.first, &model, &s, time, x, y, a);
        OK(!a.st->code, "%s", explain(a.st));
    }
    adapting_wrong(mem);
}

/* resumed as if never stopped: every kind of network, every rule of the optimiser */
#ifndef FD_NO_STDIO
static void test_resume(fd_arena mem)
{
    for (int k = 0; k < ZOO + ADAPTS; k++) {
        fd_arena a = mem;
        const fd_arch *arch = k < ZOO ? &zoo[k] : &adapts[k - ZOO];
        const char *path = test_path("arch.safetensors");
        fd_space s = zoo_space(&a, arch);
        fd_adam how = fd_adam_default(k % 3);
        how.lr = 1e-3; how.warmup = 3; how.steps = 9; how.clip = 1; how.clip_each = .1;
        fd_net *net = fd_net_new(&a, arch, fd_seed(2)), *again;
        fd_opt *o = fd_opt_new(&a, net, &how), *opt;
        if (!o) { OK(0, "%s", explain(a.st)); return; }
        fd_real *x = normals(&a, 1, 2 * fd_size(&s)), *y = normals(&a, 2, 2 * fd_size(&s));
        int mode = arch->inr.inner && !arch->inr.first ? FD_GRAD2 : FD_GRAD;
        for (int i = 0; i < 6; i++) {
            if (i == 3) fd_net_save(a.st, path, net, o, NULL, a);
            loss_of(net, &s, mode, x, y, a);
            fd_opt_step(o, net, a.st);
        }
        fd_net_load(&a, path, &again, &opt);
        if (!opt) { OK(0, "network %d: %s", k, explain(a.st)); return; }
        for (int i = 0; i < 3; i++) {
            loss_of(again, &s, mode, x, y, a);
            fd_opt_step(opt, again, a.st);
        }
        OK(!a.st->code && !memcmp(&again->arch, &net->arch, sizeof net->arch) && opt->step == 6
           && !memcmp(again->w, net->w, (size_t)net->count * sizeof *net->w)
           && !memcmp(opt->avg, o->avg, (size_t)net->count * sizeof *net->w),
           "network %d: resumed, %s", k, explain(a.st));
    }
}
#endif

/* each kind of network can tell four functions of noise apart */
static void test_overfit(fd_arena mem)
{
    enum { N = 12, B = 4 };
#define BASE .nd = 1, .in = 1, .out = 1
    static const struct { fd_arch a; int steps; double lr; } row[] = {
        { { .kind = FD_VIT, BASE, .width = 16, .layers = 2, .grid = { N },
            .vit = { .patch = { 2 }, .mlp = 32 },
            .field = { .kind = FD_SIREN, .width = 24, .layers = 2, .pool = 4 },
            .inr = { .latent = 16, .omega = 10 } }, 120, 3e-3 },
        { { .kind = FD_FNO_BLOCK, BASE, .width = 12, .layers = 2, .inr.omega = 10,
            .fno = { .modes = { 8 }, .lift = -1 },
            .field = { .kind = FD_SIREN, .width = 24, .layers = 2, .pool = 8 } }, 120,
            3e-3 },
        { { .kind = FD_UNO, BASE, .width = 8, .fno.modes = { 12 }, .coords = FD_COORD_OPEN,
            .u = { .levels = 3, .mult = { 1, 2, 2 } } }, 200, 5e-3 },
        { { .kind = FD_FNO_UNET, BASE, .width = 8, .layers = 1, .fno.modes = { 12 }, .u.levels = 2,
            .coords = FD_COORD_OPEN }, 200, 5e-3 },
        { { .kind = FD_POINTS, BASE, .width = 16, .layers = 1, .vit.mlp = 32,
            .points = { .waves = { 4 }, .pixels = 1 } }, 120, 5e-3 },
        { { .kind = FD_FNO_SEPARABLE, BASE, .width = 16, .layers = 3, .coords = FD_COORD_OPEN,
            .fno = { .modes = { 6 }, .mlp = 32, .proj = 32 } }, 120, 5e-3 }
    };
#undef BASE
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        fd_arena a = mem;
        fd_net *net = fd_net_new(&a, &row[k].a, fd_seed(1));
        fd_adam how = fd_adam_default(FD_ADAMW);
        how.lr = row[k].lr; how.warmup = 20; how.steps = row[k].steps;
        fd_opt *o = fd_opt_new(&a, net, &how);
        fd_space s = fd_grid(&a, 1, S(N), NULL, NULL, 1);
        fd_real *x = normals(&a, 1, B * N), *y = normals(&a, 2, B * N);
        double first = 0, last = 0;
        for (int i = 0; i < row[k].steps && o && y; i++) {
            fd_arena b = a;
            fd_tape t = fd_tape_begin(&b, FD_GRAD);
            fd_var *l = fd_mse_loss(&t, &s,
                                    fd_forward(net, &t, &s, fd_input(&t, 3, S(B, 1, N), x), NULL),
                                    y, NULL);
            last = l ? (double)l->x[0] : NAN;
            if (!i) first = last;
            fd_backward(&t, l);
            fd_opt_step(o, net, b.st);
        }
        if (getenv("VERBOSE")) printf("network %d: %.3g -> %.3g\n", (int)k, first, last);
        OK(!a.st->code && last < .01 * first, "network %d: four samples, from %g to %g, %s", (int)k,
           first, last, explain(a.st));
    }
}

/* a step of training in every size of arena */
static void test_starved(void)
{
    for (int k = 0; k < ZOO + ADAPTS; k++) {
        const fd_arch *arch = k < ZOO ? &zoo[k] : &adapts[k - ZOO];
        fd_status st;
        fd_arena a = test_arena(4 << 20, &st);
        char *mem = a.beg;
        double want = 0;
        for (size_t size = 4 << 20, step = 0; size <= 4 << 20; size += step) {
            a = fd_arena_over(mem, size, &st);
            fd_space s = zoo_space(&a, arch);
            fd_net *net = fd_net_new(&a, arch, fd_seed(6));
            fd_real *x = normals(&a, 1, 2 * fd_size(&s)), *y = normals(&a, 2, 2 * fd_size(&s));
            int mode = arch->inr.inner ? FD_GRAD2 : FD_GRAD;
            double l = net && y ? loss_of(net, &s, mode, x, y, a) : 0;
            if (!step) {
                want = l;
                step = 64 * (1 + (st.size - st.low) / 64 / 200);
                size = 0;
                OK(!st.code, "%s", explain(&st));
                continue;
            }
            if (!st.code) { OK(l == want, "network %d with %d bytes", k, (int)size); break; }
            if (st.code != FD_ENOMEM) { OK(0, "%s", explain(&st)); break; }
        }
        test_free();
    }
}

/* A transformer without positions commutes with shifts by whole patches. */
static void shifted_patches(fd_arena mem)
{
    for (int e = 0; e < 2; e++) {
        fd_arena a = mem;
        enum { N = 8 };
        fd_arch h = { .kind = FD_VIT, .nd = 2, .in = 1, .out = 1, .width = 8, .layers = 1,
                      .edges = e ? FD_EDGES_SPACE : FD_EDGES_PLAIN,
                      .vit = { .heads = 2, .patch = { 2, 2 }, .pos = FD_POS_NONE } };
        fd_space s = fd_grid(&a, 2, S(N, N), NULL, NULL, 1);
        fd_net *net = fd_net_new(&a, &h, fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 3);
        fd_real *x = normals(&a, 4, N * N), moved[N * N], back[N * N];
        for (int i = 0; i < N * N; i++) moved[(i / N + 2) % N * N + (i % N + 6) % N] = x[i];
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N * N), x), NULL);
        fd_var *z = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N * N), moved), NULL);
        if (!y || !z) { OK(0, "%s", explain(a.st)); return; }
        for (int i = 0; i < N * N; i++) back[i] = z->x[(i / N + 2) % N * N + (i % N + 6) % N];
        double off = test_rel(N * N, back, y->x);
        if (e) NEAR(off, 0, TOL(1e-12, 1e-5), "a shifted function");
        else OK(off > 1e-3, "plain edges see the shift: %g", off);
    }
}

/* Fourier operators as they are by default have no seam either: half a domain further their ends
 * are its middle, and everything else is as it was. With coordinates, which are i/n on every axis,
 * they see where they are. */
static void shifted_half(fd_arena mem)
{
    for (int k = 0; k < 10; k++) {
        static const int kind[] = { FD_FNO_ORIGINAL, FD_FNO_BLOCK, FD_UNO, FD_FNO_UNET,
                                    FD_FNO_SEPARABLE };
        fd_arena a = mem;
        enum { N = 16, H = N / 2 };
        fd_arch h = { .kind = kind[k / 2], .nd = 2, .in = 1, .out = 1, .width = 4,
                      .coords = k % 2 ? FD_COORD_OPEN : 0 };
        fd_space s = fd_grid(&a, 2, S(N, N), NULL, NULL, 1);
        fd_net *net = fd_net_new(&a, &h, fd_seed(2));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        shake(net, 3);
        fd_real *x = normals(&a, 4, N * N), moved[N * N], back[N * N];
        for (int i = 0; i < N * N; i++) moved[(i / N + H) % N * N + (i % N + H) % N] = x[i];
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N * N), x), NULL);
        fd_var *z = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N * N), moved), NULL);
        if (!y || !z) { OK(0, "kind %d: %s", h.kind, explain(a.st)); return; }
        for (int i = 0; i < N * N; i++) back[i] = z->x[(i / N + H) % N * N + (i % N + H) % N];
        double off = test_rel(N * N, back, y->x);
        if (k % 2) OK(off > 1e-4, "kind %d: coordinates see the shift: %g", h.kind, off);
        else NEAR(off, 0, TOL(1e-12, 3e-5), "kind %d: a shifted function", h.kind);
    }
}

/* One function over an axis that closes: at both of its ends networks that are functions of
 * coordinates have the same value if it is periodic; with plain edges, or on another axis, they do
 * not. */
static void test_seams(fd_arena mem)
{
#define IO .nd = 2, .out = 1, .width = 8
    static const fd_arch arch[] = {
        { .kind = FD_SIREN, IO, .layers = 2, .inr.omega = 3 },
        { .kind = FD_GABOR, IO, .layers = 2, .inr.omega = 3 },
        { .kind = FD_FNO_BLOCK, IO, .in = 1, .layers = 1, .fno.modes = { 3, 3 }, .inr.omega = 3,
          .field = { .kind = FD_SIREN, .width = 8, .layers = 2 } },
        { .kind = FD_VIT, IO, .in = 1, .layers = 1, .vit.patch = { 2, 2 }, .grid = { 6, 6 },
          .inr.omega = 3, .field = { .kind = FD_GABOR, .width = 8, .layers = 2 } },
        { .kind = FD_POINTS, IO, .in = 1, .layers = 1, .points.waves = { 2, 3 } } };
#undef IO
    const fd_real at[8] = { 0, (fd_real).6, 2, (fd_real).6, (fd_real).7, 0, (fd_real).7, 1 },
        one[4] = { 1, 1, 1, 1 };
    for (int k = 0; k < 5; k++)
        /* plain; periodic and Neumann; Dirichlet and periodic */
        for (int e = 0; e < 3; e++) {
            fd_arena a = mem;
            fd_arch h = arch[k];
            h.edges = e ? FD_EDGES_SPACE : FD_EDGES_PLAIN;
            fd_space s = fd_grid(&a, 2, S(6, 6), (double[]){ 2, 1 },
                                 e == 1 ? S(FD_PERIODIC, FD_NEUMANN)
                                 : e ? S(FD_DIRICHLET, FD_PERIODIC) : NULL, 1);
            fd_space r = fd_dense(NULL, 4, 1, one, one, 1);
            memcpy(r.len, s.len, sizeof r.len);
            memcpy(r.bc, s.bc, sizeof r.bc);
            if (k > 1) r.bc[0] = r.bc[1] = FD_MIXED;  /* those of the grid that is asked count */
            r.at = at;
            fd_net *net = fd_net_new(&a, &h, fd_seed(2));
            if (!net) { OK(0, "%s", explain(a.st)); return; }
            shake(net, 3);
            fd_tape t = fd_tape_begin(&a, FD_EVAL);
            fd_var *y = k < 2 ? fd_inr(net, &t, &r, 1, NULL, NULL, NULL)
                      : fd_query(net, &t, &s, fd_input(&t, 3, S(1, 1, 36), normals(&a, 4, 36)),
                                 NULL, &r);
            if (!y) { OK(0, "%s", explain(a.st)); return; }
            for (int i = 0; i < 2; i++) {
                double seam = fabs((double)y->x[2 * i] - (double)y->x[2 * i + 1]);
                if (e == i + 1) NEAR(seam, 0, TOL(1e-12, 2e-5), "network %d: periodic axis %d", k,
                                     i);
                else OK(seam > 1e-3, "network %d, case %d: axis %d closes: %g", k, e, i, seam);
            }
        }
    shifted_patches(mem);
    shifted_half(mem);
}

/* eps where it is not given. */
static void test_eps(fd_arena mem)
{
    static const struct { fd_arch a; double eps; } eps[] = {
        { { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .grid = { 8 } }, 1e-6 },
        { { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1 }, 1e-6 },
        { { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .fno.norms = 1 }, 1e-5 } };
    for (int k = 0; k < 3; k++) {
        fd_arena a = mem;
        fd_net *net = fd_net_new(&a, &eps[k].a, fd_seed(1));
        OK(net && net->arch.eps == eps[k].eps, "eps of kind %d: %s", eps[k].a.kind, explain(a.st));
    }
}

enum { ZERO, ONE, UNIT, FAN, GLOROT, WAVE0, WAVE, NORMAL, EYE };
/* UNIT: uniform on 0..v; FAN: on +-1/sqrt(inputs of the layer), biases too; GLOROT: on
 * +-sqrt(6/(in + out)); WAVE0, WAVE: the first and later layers of [SIREN], +-1/in and
 * +-sqrt(6/in)/omega; NORMAL: of deviation v. The first row whose name is in that of the part
 * counts. */
enum { WIDE = 4, OMEGA = 7 };
#define IO .nd = 2, .in = 1, .out = 1, .width = WIDE
#define COORD { "layer0.w", WAVE0, 0 }, { "layer", WAVE, 0 }
struct first_value { const char *name; int law; double v; };
static const struct { fd_arch a; struct first_value law[14]; } first_row[] = {
    { { .kind = FD_FNO_ORIGINAL, IO, .layers = 2, .fno = { .modes = { 2, 3 }, .proj = 5 } },
      { { "spectral", UNIT, 1. / (WIDE * WIDE) }, { "", FAN, 0 } } },
    { { .kind = FD_FNO_BLOCK, IO, .layers = 2, .time = FD_TIME_FILM, .embed = 6,
        .fno = { .modes = { 2, 3 }, .lift = 3, .proj = 5, .mix = 3, .gates = 1 } },
      { { "spectral", NORMAL, .35355339059327376 }, { ".bias", NORMAL, .5 },
        { "film", ZERO, 0 }, { "gate", EYE, 0 },
        { "", FAN, 0 } } },
    { { .kind = FD_FNO_BLOCK, IO, .layers = 1,
        .fno = { .modes = { 2, 2 }, .mix = 3, .norms = 2 },
        .field = { .kind = FD_SIREN, .width = 5, .layers = 2 },
        .inr = { .latent = 3, .omega = OMEGA } },
      { { "spectral", NORMAL, .35355339059327376 }, { ".bias", NORMAL, .5 }, { "gate", ONE, 0 },
        { "norm0.g", ONE, 0 }, { "norm1.g", ONE, 0 }, { "norm", ZERO, 0 },
        { "layer0.skip", FAN, 0 },
        { "layer0.mix", FAN, 0 }, { "latent.w", NORMAL, 1 / (1.7320508075688772 * OMEGA) },
        { "latent.b", ZERO, 0 }, { "mods", FAN, 0 }, { "lift", FAN, 0 }, COORD } },
    { { .kind = FD_VIT, IO, .layers = 1, .grid = { 4, 6 }, .time = FD_TIME_TOKEN, .embed = 4,
        .vit = { .patch = { 2, 3 }, .mlp = 5, .pos = FD_POS_LEARNED, .qkv_bias = 1 } },
      { { "norm1.g", ONE, 0 }, { "norm2.g", ONE, 0 }, { "norm.g", ONE, 0 },
        { "pos_embed", NORMAL, .02 },
        { "decoder_pred.w", NORMAL, .02 }, { "attn.qkv.w", NORMAL, .5 },
        { "attn.proj.w", NORMAL, .5 },
        { ".w", GLOROT, 0 }, { "", ZERO, 0 } } },
    { { .kind = FD_UVIT, IO, .layers = 3, .grid = { 2, 2 }, .inr.omega = OMEGA,
        .vit = { .patch = { 1, 1 }, .mlp = 5 },
        .field = { .kind = FD_GABOR, .width = 5, .layers = 2 } },
      { { "norm1.g", ONE, 0 }, { "norm2.g", ONE, 0 }, { "norm.g", ONE, 0 },
        { "skip_linear.w", NORMAL, .02 },
        { "attn.qkv.w", NORMAL, .5 }, { "attn.proj.w", NORMAL, .5 }, COORD, { ".w", GLOROT, 0 },
        { "", ZERO, 0 } } },
    { { .kind = FD_SIREN, IO, .layers = 3,
        .inr = { .mod = FD_MOD_SHIFT, .latent = 4, .inner = 1, .rates = 1, .rate = .25,
                 .omega = OMEGA } },
      { { "rate", EYE, .25 }, { "latent.w", NORMAL, .5 / OMEGA }, COORD, { "", ZERO, 0 } } },
    { { .kind = FD_GABOR, IO, .layers = 3, .time = FD_TIME_CHANNEL, .inr.omega = OMEGA },
      { COORD } },
    { { .kind = FD_UNO, IO, .fno.modes = { 3, 4 }, .time = FD_TIME_FILM, .embed = 4,
        .u = { .levels = 2, .mult = { 1, 2 } } },
      { { "film", ZERO, 0 }, { "step0.spectral", NORMAL, .35355339059327376 },
        { "step0.bias", NORMAL, .5 },
        { "step1.spectral", NORMAL, .28867513459481287 },
        { "step1.bias", NORMAL, .40824829046386302 },
        { "step2.spectral", NORMAL, .28867513459481287 },
        { "step2.bias", NORMAL, .40824829046386302 },
        { "step3.spectral", NORMAL, .28867513459481287 },
        { "step3.bias", NORMAL, .40824829046386302 },
        { "", FAN, 0 } } },
    { { .kind = FD_FNO_UNET, IO, .layers = 1, .fno.modes = { 4, 6 }, .time = FD_TIME_FILM,
        .embed = 4, .u = { .levels = 2, .mult = { 1, 1 }, .scale = { 1, 1 } } },
      { { "spectral", NORMAL, .28867513459481287 }, { ".bias", ZERO, 0 }, { "norm1.g", ONE, 0 },
        { "norm2.g", ONE, 0 }, { "norm", ZERO, 0 }, { "film", ZERO, 0 }, { "", FAN, 0 } } },
    /* one mode of each axis: the variance is 4 */
    { { .kind = FD_FNO_UNET, IO, .layers = 1, .fno.modes = { 1, 1 }, .u.levels = 1 },
      { { "spectral", NORMAL, 1.4142135623730951 }, { ".bias", ZERO, 0 }, { "norm1.g", ONE, 0 },
        { "norm2.g", ONE, 0 }, { "norm", ZERO, 0 }, { "", FAN, 0 } } },
    { { .kind = FD_POINTS, IO, .layers = 1, .vit.mlp = 5, .time = FD_TIME_FILM, .embed = 4,
        .points = { .waves = { 2, 1 }, .lift = 3, .latent = 3 } },
      { { "norm1.g", ONE, 0 }, { "norm2.g", ONE, 0 }, { "norm.g", ONE, 0 },
        { "normk.g", ONE, 0 }, { "film", ZERO, 0 },
        { "latent", NORMAL, .02 }, { "decoder_pred.w", NORMAL, .02 },
        { "attn.qkv.w", NORMAL, .5 },
        { "attn.q.w", NORMAL, .5 }, { "attn.kv.w", NORMAL, .5 }, { "attn.proj.w", NORMAL, .5 },
        { ".w", GLOROT, 0 },
        { "", ZERO, 0 } } },
    { { .kind = FD_FNO_SEPARABLE, IO, .layers = 2, .time = FD_TIME_TOKEN, .embed = 4,
        .fno = { .modes = { 2, 2 }, .groups = 2, .mlp = 5, .proj = 3 } },
      { { "norm.g", ONE, 0 }, { "norm.b", ZERO, 0 }, { "gate", ONE, 0 },
        { "spectral", NORMAL, 1. / (WIDE * WIDE) },
        { ".bias", NORMAL, 1. / (WIDE * WIDE) }, { "", FAN, 0 } } } };
#undef COORD
#undef IO

/* The first values of every part of every kind, to rounding: `law` of the stream of its number. */
static void test_first_values(fd_arena mem)
{
    for (size_t k = 0; k < sizeof first_row / sizeof *first_row; k++) {
        fd_arena a = mem;
        fd_net *net = fd_net_new(&a, &first_row[k].a, fd_seed(11));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        for (int i = 0; i < net->parts; i++) {
            const fd_part *p = &net->part[i], *m = p->nd > 1 ? p : p - 1;
            const fd_real *w = net->w + p->at;
            ptrdiff_t n = (i + 1 < net->parts ? p[1].at : net->count) - p->at;
            fd_real *u = fd_raw(&a, fd_real, n);
            const fd_arch_field *own = &first_row[k].a.field;
            int field = own->kind && i >= net->parts - 2 * (own->layers + 1)
                                          - (first_row[k].a.inr.latent ? 2 : 0);
            const char *end = strrchr(p->name, '.');
            const struct first_value *q = first_row[k].law;
            while (strcmp(q->name, "")
                   && !(strstr(p->name, q->name)
                        && (q->law < WAVE0 || q->law > WAVE || field || !own->kind))) q++;
            int law = q->law, normal = law == NORMAL;
            double v = q->v, lo = 0, hi = 0, in = m->n[0];
            double fan = (double)n / p->n[p->nd - 1], worst = 0;
            if ((law == WAVE0 || law == WAVE) && end && !strcmp(end, ".b")) law = ZERO;
            if (law == UNIT) hi = v;
            if (law == FAN) lo = -1 / sqrt(in), hi = -lo;
            if (law == GLOROT) lo = -sqrt(6 / (fan + p->n[p->nd - 1])), hi = -lo;
            if (law == WAVE0) lo = -1 / in, hi = -lo;
            if (law == WAVE) lo = -sqrt(6 / in) / OMEGA, hi = -lo;
            if (!u) { OK(0, "%s", explain(a.st)); return; }
            if (normal) fd_normal(fd_stream(fd_seed(11), 'w', (uint32_t)i), n, u);
            else fd_uniform(fd_stream(fd_seed(11), 'w', (uint32_t)i), n, u);
            for (ptrdiff_t j = 0; j < n; j++) {
                double want = law == ZERO ? 0 : law == ONE ? 1 : law == EYE
                    ? (v > 0 ? v : j / WIDE == j % WIDE)
                            : normal ? v * (double)u[j] : lo + (hi - lo) * (double)u[j];
                worst = fmax(worst, fabs((double)w[j] - want) / (law < UNIT || law == EYE ? 1
                                                                 : fmax(hi, v)));
            }
            NEAR(worst, 0, law < UNIT ? 0 : 8 * EPS, "kind %d, %s", first_row[k].a.kind, p->name);
        }
    }
    test_eps(mem);
}

/* What needs times says so, whatever the network is asked for. */
static void test_untimed(fd_arena mem)
{
    for (int k = 0; k < 3; k++) {
        fd_arena a = mem;
        const fd_arch *arch = &zoo[k == 1 ? 3 : 5];
        fd_space s = zoo_space(&a, arch);
        fd_net *net = fd_net_new(&a, arch, fd_seed(1));
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *x = fd_input(&t, 3, S(1, 1, (int)s.points), normals(&a, 1, s.points));
        fd_var *y = k == 2 ? fd_encode(net, &t, &s, x, NULL)
                  : k ? fd_inr(net, &t, &s, 1, x, NULL, NULL) : fd_forward(net, &t, &s, x, NULL);
        static const char *const says[] = {
            "fd_forward: this network takes times, one for each function",
            "fd_inr: this network takes times, one for each function",
            "fd_encode: this network takes times, one for each function" };
        OK(net && !y && !strcmp(explain(a.st), says[k]), "%d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
}

/* ---- What networks cannot be asked ---- */

static const fd_arch plain_fno = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 2, .width = 4,
                                   .layers = 1,
                                   .fno = { .modes = { 3 }, .lift = -1, .proj = -1 } };
static const fd_arch plain_siren = { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 4,
                                     .layers = 1, .inr = { .mod = FD_MOD_SHIFT, .omega = 2 } };
static const fd_arch seeing = { .kind = FD_POINTS, .nd = 1, .in = 1, .out = 1, .width = 4,
                                .layers = 1, .vit = { .heads = 1, .mlp = 4 },
                                .points = { .waves = { 1 }, .pixels = 1 } };
static const char *const asked_says[] = {
    "fd_forward: wants x [b][in][points] on a grid: axes of the network, in, points: 1, 1, 8",
    "fd_forward: wants x [b][in][points] on a grid: axes of the network, in, points: 1, 1, 8",
    "fd_forward: wants x [b][in][points] on a grid: axes of the network, in, points: 1, 1, 8",
    "fd_encode: wants x [b][in][points] on a grid: axes of the network, in, points: 1, 1, 8",
    "fd_inr: not a coordinate network: FD_FNO_BLOCK",
    "fd_inr: wants a grid, or points with coordinates: axes of the network, of the space: 1, 2",
    "fd_inr: wants x [b][in][points], none where in is 0: b, in, points: 2, 1, 8",
    "fd_inr: wants x [b][in][points], none where in is 0: b, in, points: 1, 1, 8",
    "fd_inr: wants x [b][in][points], none where in is 0: b, in, points: 1, 1, 8",
    "fd_inr: wants x [b][in][points], none where in is 0: b, in, points: 1, 1, 8",
    "fd_inr: wants modulations [b][fd_inr_size]: b, fd_inr_size: 1, 4",
    "fd_inr: wants modulations [b][fd_inr_size]: b, fd_inr_size: 1, 4",
    "fd_inr: wants modulations [b][fd_inr_size]: b, fd_inr_size: 1, 4",
    "fd_query: the network takes pixels where it answers: wants grids",
    "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 3, 4",
    "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 3, 4",
    "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 3, 5",
    "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 6, 6",
    "fd_spectral: wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w: 2, 2",
    "" };

struct asked { fd_net *fno, *siren, *seeing; fd_space s, flat, cloud; const fd_real *x; };

static fd_var *asked_call(int k, const struct asked *o, fd_tape *t)
{
    const fd_real *x = o->x;
    fd_var *u = fd_input(t, 3, S(1, 1, 8), x), *two = fd_input(t, 2, S(1, 8), x);
    fd_var *wide = fd_input(t, 3, S(1, 2, 8), x), *few = fd_input(t, 3, S(1, 1, 4), x);
    fd_var *h = fd_input(t, 3, S(1, 8, 1), x);
    switch (k) {
    case 0: return fd_forward(o->fno, t, &o->cloud, u, NULL);
    case 1: return fd_forward(o->fno, t, &o->s, two, NULL);
    case 2: return fd_forward(o->fno, t, &o->s, wide, NULL);
    case 3: return fd_encode(o->fno, t, &o->s, few, NULL);
    case 4: return fd_inr(o->fno, t, &o->s, 1, u, NULL, NULL);
    case 5: return fd_inr(o->siren, t, &o->flat, 1, u, NULL, NULL);
    case 6: return fd_inr(o->siren, t, &o->s, 2, u, NULL, NULL);
    case 7: return fd_inr(o->siren, t, &o->s, 1, wide, NULL, NULL);
    case 8: return fd_inr(o->siren, t, &o->s, 1, few, NULL, NULL);
    case 9: return fd_inr(o->siren, t, &o->s, 1, two, NULL, NULL);
    case 10: return fd_inr(o->siren, t, &o->s, 1, u, NULL, fd_input(t, 1, S(4), x));
    case 11: return fd_inr(o->siren, t, &o->s, 1, u, NULL, fd_input(t, 2, S(2, 4), x));
    case 12: return fd_inr(o->siren, t, &o->s, 1, u, NULL, fd_input(t, 2, S(1, 3), x));
    case 13: return fd_query(o->seeing, t, &o->cloud, u, NULL, &o->s);
    case 14: return fd_spectral(t, h, fd_input(t, 4, S(1, 1, 1, 3), x), 1, S(0), S(0));
    case 15: return fd_spectral(t, h, fd_input(t, 4, S(1, 2, 1, 2), x), 1, S(0), S(0));
    case 16: return fd_spectral(t, h, fd_input(t, 5, S(1, 1, 1, 1, 2), x), 1, S(0), S(0));
    case 17: h = fd_input(t, 6, S(1, 1, 1, 1, 1, 2), x);
        return fd_spectral(t, h, h, 4, S(0, 0, 0, 0), S(0, 0, 0, 0));
    case 18: return fd_spectral(t, two, fd_input(t, 2, S(1, 2), x), 0, S(0), S(0));
    default:
        return fd_encode(o->fno, t, &o->s, NULL, NULL) || fd_inr_size(NULL)
               || fd_inr(NULL, t, &o->s, 1, u, NULL, NULL)
               || fd_forward_label(NULL, t, &o->s, u, NULL, S(1)) ? u : NULL;
    }
}

static int asked_new(struct asked *o, fd_arena *a)
{
    o->s = fd_grid(a, 1, S(8), NULL, NULL, 1);
    o->flat = fd_grid(a, 2, S(4, 2), NULL, NULL, 1);
    o->x = normals(a, 1, 16);
    o->cloud = fd_dense(NULL, 8, 1, o->x, o->x, 1);
    o->cloud.at = o->x;
    o->fno = fd_net_new(a, &plain_fno, fd_seed(1));
    o->siren = fd_net_new(a, &plain_siren, fd_seed(1));
    o->seeing = fd_net_new(a, &seeing, fd_seed(1));
    OK(o->seeing != NULL, "%s", explain(a->st));
    return o->seeing != NULL;
}

static void test_asked(fd_arena mem)
{
    struct asked o;
    fd_real y[16] = { 0 };
    const double time = .5;
    if (!asked_new(&o, &mem)) return;
    for (int k = 0; k < (int)(sizeof asked_says / sizeof *asked_says); k++) {
        fd_arena a = mem;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *z = asked_call(k, &o, &t);
        OK(!z && !strcmp(explain(a.st), asked_says[k]), "%d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
    fd_tape t = fd_tape_begin(&mem, FD_EVAL);
    fd_var *u = fd_input(&t, 3, S(1, 1, 8), o.x), *z[2];
    z[0] = fd_forward(o.fno, &t, &o.s, u, NULL);
    z[1] = fd_forward_label(o.fno, &t, &o.s, u, NULL, NULL);
    OK(z[0] && z[1] && !memcmp(z[0]->x, z[1]->x, 16 * sizeof *y), "no label is none");
    fd_model m = fd_net_model(&mem, o.fno, FD_X0);
    m.eval(m.self, &o.s, 1, o.x, &time, y, mem);
    OK(!strcmp(explain(mem.st), "fd_net_model: channels differ: of the space, in, out: 1, 1, 2")
       && y[0] == 0, "%s", explain(mem.st));
    mem.st->code = FD_OK;
    m = fd_net_labelled(&mem, o.fno, FD_X0, -2);
    OK(!m.eval && strstr(explain(mem.st), "label, labels: -2, 0"), "%s", explain(mem.st));
    mem.st->code = FD_OK;
    OK(!fd_net_raw(&mem, NULL).eval && !mem.st->code, "no network, no model");
}

/* Once a failure is recorded nothing is done and nothing else recorded. */
static void test_failed(fd_arena mem)
{
    struct asked o;
    fd_real y[16] = { 0 };
    const double time = .5;
    if (!asked_new(&o, &mem)) return;
    fd_cov *c = fd_cov_white(&mem, &o.s, 1, 3);
    fd_model m = fd_net_model(&mem, o.siren, FD_X0);
    fd_tape t = fd_tape_begin(&mem, FD_GRAD);
    fd_var *u = fd_input(&t, 3, S(1, 1, 8), o.x);
    if (!c || !u) { OK(0, "%s", explain(mem.st)); return; }
    FD_FAIL(mem.st, FD_EDATA, "here", "before");
    OK(!fd_cov_apply(&t, c, 1, u) && !fd_mse_loss(&t, &o.s, u, o.x, NULL)
       && !fd_gather(&t, u, 1, 1, S(0), NULL) && !fd_forward(o.siren, &t, &o.s, u, NULL)
       && !fd_encode(o.siren, &t, &o.s, u, NULL) && !fd_inr(o.siren, &t, &o.s, 1, u, NULL, NULL)
       && !fd_net_define(&mem, NULL, NULL, &o.s, fd_seed(1)) && !fd_net_count(&plain_fno, mem),
       "what is made");
    m.eval(m.self, &o.s, 1, o.x, &time, y, mem);
    m.vjp(m.self, &o.s, 1, o.x, &time, o.x, y, mem);
    OK(y[0] == 0 && y[7] == 0 && !strcmp(explain(mem.st), "here: before"), "%s", explain(mem.st));
    mem.st->code = FD_OK;
}

/* The model of a network on more points than are done at a time: function by function, the same
 * bits; and in less memory than one wants, nothing. */
static void test_large_model(fd_arena mem)
{
    enum { N = 1 << 14, W = 80 };
    const fd_arch arch = { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = W, .layers = 1,
                           .inr.omega = 2 };
    fd_space s = fd_grid(&mem, 1, S(N), NULL, NULL, 1);
    fd_net *net = fd_net_new(&mem, &arch, fd_seed(3));
    fd_model m = fd_net_model(&mem, net, FD_X0);
    fd_real *x = normals(&mem, 1, 2 * N), *y = fd_new(&mem, fd_real, 2 * N);
    fd_real *z = fd_new(&mem, fd_real, 2 * N);
    const double time[2] = { .1, .2 };
    if (!z || !net) { OK(0, "%s", explain(mem.st)); return; }
    m.eval(m.self, &s, 2, x, time, y, mem);
    for (int i = 0; i < 2; i++) m.eval(m.self, &s, 1, x + i * N, time + i, z + i * N, mem);
    OK(!mem.st->code && y[0] != y[1] && !memcmp(y, z, 2 * N * sizeof *y), "one by one: %s",
       explain(mem.st));
    memset(y, 0, 2 * N * sizeof *y);
    for (int back = 0; back < 2; back++) {
        fd_arena few = mem;
        few.end = few.beg + 3000;
        if (back) m.vjp(m.self, &s, 2, x, time, x, y, few);
        else m.eval(m.self, &s, 2, x, time, y, few);
        OK(mem.st->code == FD_ENOMEM && y[0] == 0 && y[2 * N - 1] == 0, "%s", explain(mem.st));
        mem.st->code = FD_OK;
    }
}

/* The features of a transformer are brought to `pool` points as functions whose axes are even at
 * their ends. With blocks that add nothing they are the patches after the last norm. */
static void test_pool(fd_arena a)
{
    enum { N = 8, W = 4 };
    const fd_arch arch = { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = W, .layers = 1,
                           .grid = { N },
                           .vit = { .heads = 2, .mlp = 3, .patch = { 1 }, .pos = FD_POS_NONE },
                           .field = { .kind = FD_SIREN, .width = 3, .layers = 1, .pool = 3 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_space s = fd_grid(&a, 1, S(N), NULL, S(FD_NEUMANN), 1);
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 3);
    plain_net = net;
    for (int i = 0; i < net->parts; i++)
        if (strstr(net->part[i].name, "attn.proj") || strstr(net->part[i].name, "mlp.fc2"))
            for (ptrdiff_t j = net->part[i].at; j < net->part[i + 1].at; j++) net->w[j] = 0;
    fd_real *x = normals(&a, 4, N);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_encode(net, &t, &s, fd_input(&t, 3, S(1, 1, N), x), NULL);
    fd_var *h = u_dense(&t, "patch_embed", fd_input(&t, 3, S(1, N, 1), x));
    h = fd_regrid(&t, pt_norm(&t, "", "norm", h), 1, S(FD_NEUMANN), S(3));
    h = u_dense(&t, "mods", fd_reshape(&t, h, 2, S(1, 3 * W)));
    NEAR(y && h ? test_rel(fd_count(y), y->x, h->x) : 1, 0, TOL(1e-13, 1e-5), "%s", explain(a.st));
}

/* Where the modulations of a field are 0 it is the coordinate network by itself. */
static void field_alone(fd_arena a, const fd_arch *arch, const fd_arch *own, const int bc[],
                        const double *time)
{
    enum { N = 8 };
    fd_net *net = fd_net_new(&a, arch, fd_seed(1)), *siren = fd_net_new(&a, own, fd_seed(2));
    fd_space s = fd_grid(&a, 1, S(N), NULL, bc, 1);
    if (!net || !siren) { OK(0, "%s", explain(a.st)); return; }
    shake(net, 3);
    plain_net = net;
    ptrdiff_t mods = plain("mods.w") - net->w, field = plain("layer0.w") - net->w;
    memset(net->w + mods, 0, (size_t)(field - mods) * sizeof *net->w);
    OK(net->count - field == siren->count, "the field's weights");
    memcpy(siren->w, net->w + field, (size_t)siren->count * sizeof *net->w);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, S(1, 1, N), normals(&a, 4, N)), time);
    fd_var *z = fd_inr(siren, &t, &s, 1, NULL, time, NULL);
    NEAR(y && z ? test_rel(N, y->x, z->x) : 1, 0, TOL(1e-13, 1e-5), "%s", explain(a.st));
}

/* Time of a field is on [-1, 1] where the embedding's argument is on [0, 1000]. Without modulations
 * the field is a coordinate network by itself. */
static void test_field_clock(fd_arena a)
{
    const fd_arch arch = { .kind = FD_VIT, .nd = 1, .in = 1, .out = 1, .width = 4, .layers = 1,
                           .grid = { 8 }, .time = FD_TIME_TOKEN, .tscale = 700, .inr.omega = 3,
                           .vit = { .heads = 2, .patch = { 2 } },
                           .field = { .kind = FD_SIREN, .width = 5, .layers = 2 } };
    const fd_arch own = { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 5, .layers = 2,
                          .inr.omega = 3, .time = FD_TIME_CHANNEL, .tscale = .7 };
    const double time = .6;
    field_alone(a, &arch, &own, NULL, &time);
}

/* A field has the coordinates of the network below it, where that has any. Without modulations it
 * is a coordinate network by itself. */
static void test_field_coords(fd_arena a)
{
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 4,
                           .layers = 1, .coords = FD_COORD_CLOSED, .inr.omega = 3,
                           .fno = { .modes = { 3 }, .lift = -1 },
                           .field = { .kind = FD_SIREN, .width = 5, .layers = 2 } };
    const fd_arch own = { .kind = FD_SIREN, .nd = 1, .out = 1, .width = 5, .layers = 2,
                          .inr.omega = 3, .coords = FD_COORD_CLOSED };
    field_alone(a, &arch, &own, S(FD_NEUMANN), NULL);
}

/* Ranks of Tucker tensors: r_i = x n_i, rounded, with x^d prod n + x sum n^2 = part prod n */
static void test_ranks(fd_arena mem)
{
    for (int k = 0; k < 200; k++) {
        fd_arena a = mem;
        const fd_arch arch = { .kind = FD_UNO, .nd = 1, .in = 1, .out = 1, .width = 3 + k % 7,
                               .fno.modes = { 6 + k % 9 },
                               .u = { .levels = 1, .rank = .1 + .004 * k } };
        fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
        if (!net) { OK(0, "%s", explain(a.st)); return; }
        plain_net = net;
        const fd_part *core = NULL;
        for (int i = 0; i < net->parts; i++)
            if (!strcmp(net->part[i].name, "step0.core")) core = &net->part[i];
        if (!core) { OK(0, "no core"); return; }
        double n[3], whole = 1, squares = 0, x = .5;
        for (int i = 0; i < 3; i++) {
            n[i] = core[1 + i].n[0];
            whole *= n[i];
            squares += n[i] * n[i];
        }
        for (int i = 0; i < 50; i++)                  /* Newton; x <= 1 */
            x -= (x * x * x * whole + x * squares - arch.u.rank * whole)
                 / (3 * x * x * whole + squares);
        x = fmin(x, 1);
        for (int i = 0; i < 3; i++)
            OK(core->n[i] == (int)fmax(floor(x * n[i] + .5), 1), "rank %g: %d of %g, x %g",
               arch.u.rank, core->n[i], n[i], x);
    }
}

/* Padding is by axis. On functions that do not change along the first axis, of which the second one
 * is padded, a network of two axes is one of one axis with the weights of k = 0. And how many
 * activations there are. */
static void test_pad_axes(fd_arena mem)
{
    fd_arena a = mem;
    fd_arch flat = { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 3, .layers = 2,
                     .fno = { .modes = { 3 }, .proj = 4, .pad = { .5 } } }, deep = flat, first;
    deep.nd = 2;
    deep.fno.modes[0] = 1;
    deep.fno.modes[1] = 3;
    deep.fno.pad[0] = 0;
    deep.fno.pad[1] = .5;
    first = deep;
    first.fno.pad[0] = .5;
    fd_net *p = fd_net_new(&a, &flat, fd_seed(1)), *q = fd_net_new(&a, &deep, fd_seed(2));
    fd_net *r = fd_net_new(&a, &first, fd_seed(2));
    fd_space s = fd_grid(&a, 1, S(8), NULL, NULL, 1), f = fd_grid(&a, 2, S(4, 8), NULL, NULL, 1);
    fd_real *x = normals(&a, 1, 8), all[32];
    if (!p || !q || !r) { OK(0, "%s", explain(a.st)); return; }
    shake(p, 3);
    for (int i = 0; i < p->parts; i++) {
        ptrdiff_t n = (i + 1 < p->parts ? p->part[i + 1].at : p->count) - p->part[i].at;
        /* the row of k = -1, then that of 0 */
        int half = strstr(p->part[i].name, "spectral") != NULL;
        memcpy(q->w + q->part[i].at + half * n, p->w + p->part[i].at, (size_t)n * sizeof *p->w);
    }
    memcpy(r->w, q->w, (size_t)q->count * sizeof *q->w);
    for (int i = 0; i < 32; i++) all[i] = x[i % 8];
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(p, &t, &s, fd_input(&t, 3, S(1, 1, 8), x), NULL);
    fd_var *z = fd_forward(q, &t, &f, fd_input(&t, 3, S(1, 1, 32), all), NULL);
    fd_var *o = fd_forward(r, &t, &f, fd_input(&t, 3, S(1, 1, 32), all), NULL);
    if (!y || !z || !o) { OK(0, "%s", explain(a.st)); return; }
    for (int i = 0; i < 4; i++) NEAR(test_rel(8, z->x + 8 * i, y->x), 0, TOL(1e-13, 1e-5), "row %d",
                                     i);
    OK(test_rel(8, o->x, y->x) > 1e-3, "the other axis is padded, too");

    /* linear maps around the layers: with acts = -1, and where one layer is all there is, f is
     * affine */
    for (int k = 0; k < 5; k++) {
        static const int layers[] = { 1, 1, 2, 2, 3 }, acts[] = { 0, 1, -1, 0, -1 },
            affine[] = { 1, 0, 1, 0, 1 };
        fd_arena b = mem;
        fd_arch h = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 4,
                      .layers = layers[k],
                      .fno = { .modes = { 5 }, .lift = -1, .proj = -1, .acts = acts[k] } };
        fd_net *net = fd_net_new(&b, &h, fd_seed(4));
        fd_real v[4][8] = { { 0 } };
        if (!net) { OK(0, "%s", explain(b.st)); return; }
        fd_normal(fd_seed(5), 16, v[1]);
        for (int i = 0; i < 8; i++) v[3][i] = v[1][i] + v[2][i];
        t = fd_tape_begin(&b, FD_EVAL);
        y = fd_forward(net, &t, &s, fd_input(&t, 3, S(4, 1, 8), v[0]), NULL);
        double off = 0;
        for (int i = 0; i < 8 && y; i++)
            off = fmax(off, fabs((double)y->x[i] + (double)y->x[24 + i] - (double)y->x[8 + i]
                                 - (double)y->x[16 + i]));
        if (affine[k]) NEAR(off, y ? 0 : 1, TOL(1e-13, 1e-5), "%d layers, acts %d", layers[k],
                            acts[k]);
        else OK(off > 1e-2, "%d layers, acts %d: %g", layers[k], acts[k], off);
    }
}

void test_arch(void)
{
    fd_status st;
    test_starved();
    test_counts();
    fd_arena a = test_arena((size_t)(sizeof(fd_real) * 32) << 20, &st);
    test_graphs(sizeof graphs / sizeof *graphs, graphs, TOL(1e-9, 5e-3));
    test_rows(a);
    test_attention(a);
    test_patches(a);
    test_conv_edges(a);
    test_small(a);
    test_groupnorm(a);
    test_regrid(a);
    test_wrong(a);
    test_missing(a);
    test_extents(a);
    stencil_long(a);
    test_stencil(a);
    test_errors(a);
    test_grid_errors(a);
    test_nothing(a);
    test_seams(a);
    test_first_values(a);
    test_untimed(a);
    test_asked(a);
    test_failed(a);
    test_large_model(a);
    test_pool(a);
    test_field_clock(a);
    test_field_coords(a);
    test_ranks(a);
    test_pad_axes(a);
    test_plain_vit(a, NULL);
    for (int i = 0; i < 16; i++) test_plain_vit(a, S(i / 4, i % 4));
    test_plain_coords(a);
    test_blocks(a);
    test_network_gradients(a);
    test_labels(a);
    test_positions(a);
    test_fields(a);
    test_overfit(a);
    test_u_composed(a);
    test_points(a);
    test_hdm(a);
    test_tucker(a);
    test_u_shapes(a);
    test_meta(a);
    test_adapting(a);
#ifndef FD_NO_STDIO
    test_resume(a);
#endif
    OK(!st.code, "%s", explain(&st));
}
