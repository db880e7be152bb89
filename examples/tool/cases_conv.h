/* cases_conv.h -- cases of fd vectors: spectral convolutions and their gradients, attention. */
#ifndef CASES_CONV_H
#define CASES_CONV_H
#include "cases_fields.h"

/* ---- Spectral convolutions ------------------------------------------------------------------- */

/* conv -- the sum of fd_spectral [FNO eq. 4], one function, channels last. */
typedef struct { int nd, n[3], lo[3], hi[3], ci, co; } conv;

enum { CONV_RIGHT, CONV_ODD_SHIFT, CONV_LOW_BINS, CONV_NEGATIVE_ROWS, CONV_FFT_ORDER,
      CONV_LAST_BINS,
       CONV_CONJUGATE, CONV_SWAPPED, CONV_NO_MIRROR, CONV_NYQUIST_DROPPED, CONV_NYQUIST_TWICE,
           CONV_NO_SCALE,
       CONV_AXES, CONV_NO_ADJOINT, CONV_NO_TRANSPOSE, CONVS };
static const char *const conv_id[CONVS] = { "", "odd-shift", "low-bins", "negative-rows",
                                           "fft-order",
    "last-bins", "conjugate-weights", "channels-swapped", "no-mirror", "nyquist-dropped",
        "nyquist-twice",
    "no-scale", "axes-swapped", "no-adjoint", "no-transpose" };

static inline int conv_modes(const conv *c, int K[3])
{
    int all = 1;
    for (int i = 0; i < 3; i++) all *= K[i] = i < c->nd ? c->hi[i] - c->lo[i] + 1 : 1;
    return all;
}

/* conv_weight -- R of mode number j (row-major over K), channels i to o, by a fault. back: of the
 * gradient, R's conjugate transpose. */
static inline void conv_weight(const conv *c, const fd_real *w, int j, int i, int o, int how,
                               int back, double r[2])
{
    int turn = back ? how != CONV_NO_TRANSPOSE : how == CONV_SWAPPED;
    int mirror = back ? how != CONV_NO_ADJOINT : how == CONV_CONJUGATE;
    const fd_real *at = w + 2 * (turn ? ((ptrdiff_t)j * c->ci + o) * c->co + i
                                      : ((ptrdiff_t)j * c->ci + i) * c->co + o);
    r[0] = (double)at[0], r[1] = mirror ? -(double)at[1] : (double)at[1];
}

/* conv_row -- which row of the weights belongs to k, from 0, on axis d; -1: none. */
static inline int conv_row(const conv *c, int d, int k, int how)
{
    int K = c->hi[d] - c->lo[d] + 1, first = d < c->nd - 1;
    if (!first) return k;
    if (how == CONV_FFT_ORDER) return k < 0 ? K + k : k;
    if (how == CONV_NEGATIVE_ROWS && k <= 0) return k - 1 - c->lo[d];
    return k - c->lo[d];
}

/* conv_hat -- the coefficient of channel i of x [points][ch] at the frequency k, 1/n of the sum. */
static inline void conv_hat(const conv *c, int ch, const fd_real *x, int i, const int k[3],
                            double z[2])
{
    ptrdiff_t points = (ptrdiff_t)c->n[0] * c->n[1] * c->n[2];
    z[0] = z[1] = 0;
    for (ptrdiff_t p = 0; p < points; p++) {
        ptrdiff_t at[3] = { p / (c->n[1] * c->n[2]), p / c->n[2] % c->n[1], p % c->n[2] };
        double v = (double)x[p * ch + i], w = 0;
        for (int d = 0; d < 3; d++) w -= TURN * (double)(k[d] * at[d]) / c->n[d];
        z[0] += v * cos(w) / (double)points, z[1] += v * sin(w) / (double)points;
    }
}

/* conv_add -- y [points][co] += the mode at the frequency k with the number z, c_k times. */
static inline void conv_add(const conv *c, int co, int o, const int k[3], double times,
                            const double z[2], double *y)
{
    ptrdiff_t points = (ptrdiff_t)c->n[0] * c->n[1] * c->n[2];
    for (ptrdiff_t p = 0; p < points; p++) {
        ptrdiff_t at[3] = { p / (c->n[1] * c->n[2]), p / c->n[2] % c->n[1], p % c->n[2] };
        double w = 0;
        for (int d = 0; d < 3; d++) w += TURN * (double)(k[d] * at[d]) / c->n[d];
        y[p * co + o] += times * (z[0] * cos(w) - z[1] * sin(w));
    }
}

/* conv_mode -- what the mode `of` (frequencies from lo, of the axes 3 - nd..2) adds to y. */
static inline void conv_mode(const conv *c, const int of[3], const fd_real *x, const fd_real *w,
                             int how, int back, double *y)
{
    int K[3], k[3], to[3], j = 0, up = 3 - c->nd;
    int ci = back ? c->co : c->ci, co = back ? c->ci : c->co;
    const conv wide = { 3, { up > 0 ? 1 : c->n[0], up > 1 ? 1 : c->n[1 - up], c->n[c->nd - 1] },
                        { 0 }, { 0 }, 0, 0 };
    int last = of[c->nd - 1], n = c->n[c->nd - 1], edge = 0, order[3];
    conv_modes(c, K);
    memset(k, 0, sizeof k);
    for (int d = 0; d < c->nd; d++) {
        int line = conv_row(c, d, of[d], how), first = d < c->nd - 1, kept = K[d];
        if (line < 0) return;
        order[d] = line;
        edge |= 2 * abs(of[d]) == c->n[d];
        k[up + d] = of[d];
        if (how == CONV_LOW_BINS && first && kept % 2 && c->n[d] % 2 == 0) k[up + d]--;
        if (how == CONV_LAST_BINS) k[up + d] += n / 2 - c->hi[d];
        to[up + d] = k[up + d] - (how == CONV_ODD_SHIFT && first && c->n[d] % 2 ? 1 : 0);
    }
    for (int d = 0; d < up; d++) to[d] = 0;
    if (how == CONV_AXES) order[0] = of[1] - c->lo[1], order[1] = of[0] - c->lo[0];
    for (int d = 0; d < c->nd; d++) j = j * K[d] + order[d];
    if (how == CONV_LAST_BINS) last = k[2];
    if (how == CONV_NYQUIST_DROPPED && edge) return;
    int alone = !last || (2 * last == n && how != CONV_NYQUIST_TWICE);
    double times = how == CONV_NO_MIRROR || alone ? 1 : 2;
    if (how == CONV_NO_SCALE) times *= (double)wide.n[0] * wide.n[1] * wide.n[2];
    for (int o = 0; o < co; o++) {
        double z[2] = { 0, 0 }, r[2], u[2];
        for (int i = 0; i < ci; i++) {
            conv_weight(c, w, j, i, o, how, back, r);
            conv_hat(&wide, ci, x, i, k, u);
            z[0] += r[0] * u[0] - r[1] * u[1], z[1] += r[0] * u[1] + r[1] * u[0];
        }
        conv_add(&wide, co, o, to, times, z, y);
    }
}

/* plain_conv -- y, or with back its gradient: x is then dy. */
static inline void plain_conv(const conv *c, const fd_real *x, const fd_real *w, int how, int back,
                              double *y)
{
    int K[3], of[3], all = conv_modes(c, K), co = back ? c->ci : c->co;
    ptrdiff_t points = count_of(c->nd, c->n);
    memset(y, 0, (size_t)(points * co) * sizeof *y);
    for (int j = 0; j < all; j++) {
        for (int d = c->nd - 1, rest = j; d >= 0; rest /= K[d--]) of[d] = rest % K[d] + c->lo[d];
        conv_mode(c, of, x, w, how, back, y);
        if (how == CONV_LAST_BINS) conv_mode(c, of, x, w, CONV_RIGHT, back, y);
    }
}

/* conv_fits -- is there such a fault of this convolution? */
static inline int conv_fits(const conv *c, int how, int back)
{
    int K[3];
    conv_modes(c, K);
    if (how == CONV_NO_ADJOINT) return back;
    if (how == CONV_NO_TRANSPOSE) return back && c->ci == c->co;
    if (back) return how == CONV_NO_SCALE || how == CONV_ODD_SHIFT;
    if (how == CONV_LAST_BINS) return c->nd == 1 && 2 * (c->hi[0] + 1) <= c->n[0] / 2 + 1;
    if (how == CONV_SWAPPED) return c->ci == c->co;
    if (how == CONV_AXES) return c->nd == 2 && K[0] == K[1];
    if (how == CONV_NEGATIVE_ROWS || how == CONV_FFT_ORDER) return c->nd > 1 && c->lo[0] < 0;
    return how != CONV_RIGHT;
}

/* conv_library -- the same by fd_spectral, or its gradient by the tape. */
static inline void conv_library(casebook *q, const conv *c, const fd_real *x, const fd_real *w,
                                int back, fd_real *y)
{
    int n[5] = { 1 }, m[6], K[3];
    fd_arena a = q->mem;
    ptrdiff_t points = count_of(c->nd, c->n);
    conv_modes(c, K);
    memcpy(n + 1, c->n, (size_t)c->nd * sizeof *n);
    n[c->nd + 1] = c->ci;
    memcpy(m, K, (size_t)c->nd * sizeof *m);
    m[c->nd] = c->ci, m[c->nd + 1] = c->co, m[c->nd + 2] = 2;
    fd_real *zero = fd_new(&a, fd_real, points * c->ci);
    fd_tape t = fd_tape_begin(&a, back ? FD_GRAD2 : FD_EVAL);
    fd_var *in = back ? fd_param(&t, c->nd + 2, n, zero, NULL) : fd_input(&t, c->nd + 2, n, x);
    fd_var *R = fd_input(&t, c->nd + 3, m, w), *dx = NULL;
    fd_var *out = fd_spectral(&t, in, R, c->nd, c->lo, c->hi);
    if (back) {
        n[c->nd + 1] = c->co;
        fd_grad(&t, out, fd_input(&t, c->nd + 2, n, x), 1, (fd_var *[]){ in }, &dx);
        out = dx;
    }
    need(a.st);
    memcpy(y, out->x, (size_t)fd_count(out) * sizeof *y);
}

static inline void conv_case(casebook *q, const conv *c, int back, const char *flags,
                             const char *what)
{
    int K[3], all = conv_modes(c, K), nyquist = 0, n[4], m[6];
    ptrdiff_t points = count_of(c->nd, c->n);
    ptrdiff_t in = points * (back ? c->co : c->ci), out = points * (back ? c->ci : c->co);
    for (int d = 0; d < c->nd; d++) nyquist |= 2 * c->hi[d] == c->n[d] || 2 * c->lo[d] == -c->n[d];
    case_begin(q, nyquist && !back ? ACCEPTABLE : VALID, "[FNO eq. 4]", flags, "%s%s", what, nyquist
               ? "; the Nyquist modes may be left out" : "");
    const fd_real *x = normals(q, in);
    memcpy(n, c->n, sizeof c->n);
    memcpy(m, K, sizeof K);
    m[c->nd] = c->ci, m[c->nd + 1] = c->co, m[c->nd + 2] = 2;
    n[c->nd] = back ? c->co : c->ci;
    put_in(q, back ? "dy" : "x", c->nd + 1, n, x);
    const fd_real *w = normals(q, (ptrdiff_t)2 * all * c->ci * c->co);
    put_in(q, "w", c->nd + 3, m, w);
    param_text(q, "want", back ? "gradient" : "convolution");
    param_list(q, "n", c->nd, c->n);
    param_list(q, "lo", c->nd, c->lo);
    param_list(q, "hi", c->nd, c->hi);
    fd_real *y = fd_raw(&q->mem, fd_real, out);
    double *z = doubles(q, out);
    need(q->mem.st);
    conv_library(q, c, x, w, back, y);
    plain_conv(c, x, w, CONV_RIGHT, back, z);
    agree(q, out, y, z);
    n[c->nd] = back ? c->ci : c->co;
    const char *name = back ? "dx" : "y";
    put_out(q, name, c->nd + 1, n, y);
    for (int how = 1; how < CONVS; how++) {
        if (!conv_fits(c, how, back)) continue;
        plain_conv(c, x, w, how, back, z);
        put_other(q, nyquist && how == CONV_NYQUIST_DROPPED, conv_id[how], name, reals(q, out, z));
    }
    case_end(q);
}

static inline void group_convolutions(casebook *q)
{
    static const struct { conv c; const char *flags, *what; } all[] = {
        { { 1, { 8 }, { 0 }, { 2 }, 2, 3 }, "Axes1 ModeCount", "8 points, modes 0 to 2" },
        { { 1, { 9 }, { 0 }, { 4 }, 2, 2 }, "Axes1 OddGrid ModeCount", "9 points, all modes" },
        { { 1, { 8 }, { 0 }, { 4 }, 1, 1 }, "Axes1 Nyquist", "8 points, all modes" },
        { { 1, { 16 }, { 0 }, { 2 }, 2, 2 }, "Axes1 ModeCount", "16 points, modes 0 to 2" },
        { { 2, { 8, 8 }, { -2, 0 }, { 1, 2 }, 2, 2 }, "Axes2 ModeCount",
         "8x8 points, four rows and three columns" },
        { { 2, { 8, 9 }, { -2, 0 }, { 2, 3 }, 1, 2 }, "Axes2 OddModes",
         "8x9 points, five rows: an odd number" },
        { { 2, { 9, 8 }, { -3, 0 }, { 2, 3 }, 2, 1 }, "Axes2 OddGrid", "9x8 points, six rows" },
        { { 2, { 7, 7 }, { -2, 0 }, { 2, 2 }, 2, 2 }, "Axes2 OddGrid OddModes",
         "7x7 points, five rows" },
        { { 2, { 6, 6 }, { -3, 0 }, { 2, 2 }, 2, 2 }, "Axes2 Nyquist TwiceM",
         "6x6 points, n = 2M: three rows each way" },
        { { 2, { 6, 4 }, { -2, 0 }, { 1, 2 }, 1, 2 }, "Axes2 Nyquist",
         "6x4 points, the last column is the Nyquist mode" },
        { { 2, { 7, 6 }, { -1, 0 }, { 1, 2 }, 1, 1 }, "Axes2 OddGrid OddModes",
         "7x6 points, three rows" },
        { { 3, { 4, 5, 6 }, { -1, -2, 0 }, { 1, 1, 2 }, 1, 2 }, "Axes3 OddGrid", "4x5x6 points" },
        { { 3, { 5, 4, 3 }, { -2, -1, 0 }, { 2, 1, 1 }, 2, 1 }, "Axes3 OddGrid",
         "5x4x3 points, all rows of the first axis" },
    };
    if (!group_begin(q, "convolutions", "spectral convolutions on even and odd grids, and their "
                     "gradients")) return;
    for (int i = 0; i < COUNT(all); i++) conv_case(q, &all[i].c, 0, all[i].flags, all[i].what);
    for (int i = 0; i < COUNT(all); i += 2) {
        char flags[120], what[200];
        snprintf(flags, sizeof flags, "Adjoint %s", all[i].flags);
        snprintf(what, sizeof what, "gradient in x: %s", all[i].what);
        conv_case(q, &all[i].c, 1, flags, what);
    }
    group_end(q);
}

/* ---- Attention ------------------------------------------------------------------------------- */

enum { ATT_RIGHT, ATT_NO_TEMPERATURE, ATT_FULL_WIDTH, ATT_INTERLEAVED, ATT_OTHER_AXIS,
      ATT_NO_WEIGHTS, ATT_AFTER, ATTS };
static const char *const att_id[ATTS] = { "", "no-temperature", "full-width", "interleaved",
                                         "other-axis", "no-weights",
                                          "after-softmax" };
typedef struct { int n, m, d, e, heads; } att;

/* plain_attention -- softmax(q k^T / sqrt(d/heads)) v, keys weighted where g is not NULL. */
static inline void plain_attention(const att *s, const fd_real *Q, const fd_real *K,
                                   const fd_real *V, const fd_real *g,
                                   int how, double *p, double *y)
{
    int dh = s->d / s->heads, eh = s->e / s->heads, weighs = g && how != ATT_NO_WEIGHTS;
    double scale = how == ATT_NO_TEMPERATURE ? 1 : how == ATT_FULL_WIDTH ? 1 / sqrt(s->d)
        : 1 / sqrt(dh);
    memset(y, 0, (size_t)(s->n * s->e) * sizeof *y);
    for (int h = 0; h < s->heads; h++) {
        for (int i = 0; i < s->n * s->m; i++) {
            double sum = 0;
            for (int c = 0; c < dh; c++) {
                int at = how == ATT_INTERLEAVED ? c * s->heads + h : h * dh + c;
                sum += (double)Q[i / s->m * s->d + at] * (double)K[i % s->m * s->d + at];
            }
            p[i] = exp(scale * sum) * (weighs && how != ATT_AFTER ? (double)g[i % s->m] : 1);
        }
        for (int i = 0; i < s->n; i++)
            for (int j = 0; j < s->m; j++) {
                double sum = 0, w;
                if (how == ATT_OTHER_AXIS) for (int l = 0; l < s->n; l++) sum += p[l * s->m + j];
                else for (int l = 0; l < s->m; l++) sum += p[i * s->m + l];
                w = p[i * s->m + j] / sum * (weighs && how == ATT_AFTER ? (double)g[j] : 1);
                for (int c = 0; c < eh; c++) {
                    int at = how == ATT_INTERLEAVED ? c * s->heads + h : h * eh + c;
                    y[i * s->e + at] += w * (double)V[j * s->e + at];
                }
            }
    }
}

static inline void att_case(casebook *q, att s, int weighted)
{
    case_begin(q, VALID, weighted ? "[Continuum]" : "[Attention]", weighted ? "Quadrature" : "",
               "queries: %d, keys: %d, heads: %d%s", s.n, s.m, s.heads, weighted
               ? ", keys weighted by quadrature" : "");
    const int nq[3] = { 1, s.n, s.d }, nk[3] = { 1, s.m, s.d }, nv[3] = { 1, s.m, s.e },
        ny[3] = { 1, s.n, s.e };
    const fd_real *Q = normals(q, s.n * s.d);
    put_in(q, "q", 2, nq + 1, Q);
    const fd_real *K = normals(q, s.m * s.d);
    put_in(q, "k", 2, nk + 1, K);
    const fd_real *V = normals(q, s.m * s.e);
    put_in(q, "v", 2, nv + 1, V);
    double *p = doubles(q, s.n * s.m), *y = doubles(q, s.n * s.e);
    fd_real *g = weighted ? normals(q, s.m) : NULL;
    for (int i = 0; i < s.m && g; i++) g[i] = (fd_real)exp((double)g[i]);
    if (g) put_in(q, "weight", 1, &s.m, g);
    param(q, "heads", s.heads);
    fd_tape t = fd_tape_begin(&q->mem, FD_EVAL);
    fd_var *out = fd_attention_over(&t, fd_input(&t, 3, nq, Q), fd_input(&t, 3, nk, K),
                                    fd_input(&t, 3, nv, V), s.heads, g);
    need(q->mem.st);
    plain_attention(&s, Q, K, V, g, ATT_RIGHT, p, y);
    agree(q, s.n * s.e, out->x, y);
    put_out(q, "y", 2, ny + 1, out->x);
    for (int how = 1; how < ATTS; how++) {
        if (how >= ATT_NO_WEIGHTS && !g) continue;
        plain_attention(&s, Q, K, V, g, how, p, y);
        fault(q, att_id[how], "y", y);
    }
    case_end(q);
}

static inline void group_attention(casebook *q)
{
    if (!group_begin(q, "attention", "softmax attention in heads, and over points of a "
                     "domain")) return;
    att_case(q, (att){ 5, 5, 4, 4, 1 }, 0);
    att_case(q, (att){ 5, 5, 8, 8, 2 }, 0);
    att_case(q, (att){ 3, 7, 8, 4, 4 }, 0);
    att_case(q, (att){ 6, 4, 6, 6, 2 }, 1);
    att_case(q, (att){ 4, 9, 4, 8, 2 }, 1);
    group_end(q);
}
#endif
