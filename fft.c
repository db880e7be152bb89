/* fft.c -- complex, real, cosine and sine transforms of any length, many lines at once.
 *
 * Uses fd.h alone. A line lies in each lane of a vector: FD_W lines are gathered so that element j
 * of all of them is one fd_vec, every step acts on all lanes alike, and the result is scattered
 * back. No step mixes lanes, so the bits of a line depend on the line alone. Long contiguous lines
 * fill the vectors on their own.
 *
 * Sections: 1 roots of unity, 2 the same in plain, 3 small transforms, 4 passes, 5 complex lines,
 * 6 real lines, 7 cosine and sine lines, 8 gather and scatter, 9 long lines, 10 plans and runs,
 * 11 grids, 12 public functions.
 *
 * Notation: w_n = exp(-2 pi i/n); a transform has the minus sign, and its inverse is the same one
 * with real and imaginary parts exchanged both ways: swap(F(swap z)) = conj(F(conj z)). */
#define FD_IMPL
#include "fd.h"

/* ---- 1. Roots of unity --------------------------------------------------------------------------
 *
 * w_n^k = cos t - i sin t, t = 2 pi k/n, is brought to 0 <= t <= pi/4 in integers, where t = hi +
 * lo is known to twice the precision of a double and sin t = sin hi + lo cos hi. */

static void fft_root(int64_t k, int64_t n, double *re, double *im)
{
    if (k == 0) { *re = 1; *im = 0; return; }
    int64_t e = 8 * (k % n) / n, r = 8 * (k % n) - e * n;          /* t = (pi/4)(e + r/n) */
    if (e & 1) r = n - r;
    double p = (double)r * 0.78539816339744828, low = fma((double)r, 0.78539816339744828, -p)
             + (double)r * 3.0616169978683830e-17;
    double hi = p / (double)n, lo = (fma(-hi, (double)n, p) + low) / (double)n;
    double s = sin(hi), c = cos(hi), sn = s + lo * c, cs = c - lo * s;
    if ((e + 1) & 2) { double t = sn; sn = cs; cs = t; }             /* octants 1, 2, 5, 6 */
    *re = (e + 2) & 4 ? -cs : cs;                                    /* octants 2..5 */
    *im = e & 4 ? sn : -sn;
}

/* re and im of scale * w_n^k, rounded once */
static void fft_root_to(fd_real *w, int64_t k, int64_t n, double scale)
{
    double re, im;
    fft_root(k, n, &re, &im);
    w[0] = (fd_real)(scale * re);
    w[1] = (fd_real)(scale * im);
}

/* w_of^(first + k step) times scale, k < n, as pairs re, im; NULL where memory is short */
static fd_real *fft_roots(fd_arena *a, ptrdiff_t n, int64_t first, int64_t step, int64_t of,
                          double scale)
{
    fd_real *w = fd_raw(a, fd_real, 2 * n);
    for (ptrdiff_t k = 0; w && k < n; k++) fft_root_to(w + 2 * k, first + k * step, of, scale);
    return w;
}

/* A plan or a grid that cannot be is a failure. Both return the code of the status. */
static int fft_plan_refuses(fd_arena *a, int kind, int n)
{
    if (kind < FD_C2C || kind > FD_DST4)
        return FD_FAIL(a->st, FD_EARG, "fd_fft_plan", "no such kind of transform", kind);
    if (n < 1 + (kind == FD_DCT1) || n > 1 << 28)
        return FD_FAIL(a->st, FD_ESHAPE, "fd_fft_plan",
                       "no transform of this kind has that length: kind, length", kind, n);
    return a->st->code;
}

static int fft_grid_refuses(const char *where, int nd, fd_status *st)
{
    if (nd < 1 || nd > FD_MAXD) FD_FAIL(st, FD_ESHAPE, where, "number of axes", nd);
    return st->code;
}

/* ---- 2. The same in plain -----------------------------------------------------------------------
 *
 * What sections 3 to 11 compute, for one line at a time and without vectors: the code to read
 * first, and all that -DFD_PLAIN builds. The work is n log n, as there, but in scalar code it takes
 * five to ten times as long, cosines and sines, as complex lines of twice the length, up to 18. */
#ifdef FD_PLAIN

enum { FFT_MAXF = 20, FFT_DIRECT = 127, FFT_SUM = 12 };

/* A complex transform of length n: by passes of the radices f, or, where n has a prime factor above
 * FFT_DIRECT, as a convolution (Bluestein). */
typedef struct fft_core {
    int n, nf, f[FFT_MAXF];
    const fd_cplx *w;                     /* w_n^k, k < n */
    const struct fft_core *conv;          /* Bluestein: transform of length m; else NULL */
    const fd_cplx *chirp, *hat;           /* b_j, j < n; transform of conj(b) / m */
    ptrdiff_t room;                       /* numbers of scratch that fft_core_run wants */
} fft_core;

static fd_cplx c_add(fd_cplx a, fd_cplx b) { return (fd_cplx){ a.re + b.re, a.im + b.im }; }
static fd_cplx c_mul(fd_cplx a, fd_cplx b)
{
    return (fd_cplx){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
}
static fd_cplx c_swap(fd_cplx a) { return (fd_cplx){ a.im, a.re }; }

/* One pass (Stockham, decimation in frequency), n = r ido l1, l1 the product of the radices before:
 *
 *     y[i + ido (k + l1 q)] = sum_j w_n^(l1 q (i + ido j)) x[i + ido (j + r k)]
 *
 * for i < ido, k < l1, q < r. After the last pass (ido = 1) the result is in order. A long sum is
 * made of sums of FFT_SUM terms, for the rounding of a single chain grows like the root of r. */
static void fft_pass(const fft_core *p, int r, ptrdiff_t l1, const fd_cplx *x, fd_cplx *y)
{
    const ptrdiff_t n = p->n, ido = n / r / l1;
    for (ptrdiff_t k = 0; k < l1; k++)
        for (int q = 0; q < r; q++)
            for (ptrdiff_t i = 0, at; i < ido; i++) {
                fd_cplx sum = { 0, 0 };
                at = l1 * q * i;
                for (int j = 0; j < r; ) {
                    fd_cplx part = { 0, 0 };
                    for (int end = j + FFT_SUM; j < r && j < end; j++) {
                        part = c_add(part, c_mul(p->w[at], x[i + ido * (j + r * k)]));
                        at += l1 * q * ido;
                        if (at >= n) at -= n;
                    }
                    sum = c_add(sum, part);
                }
                y[i + ido * (k + l1 * q)] = sum;
            }
}

/* Transform x[n] in place; y[room]: scratch. With jk = (j^2 + k^2 - (k-j)^2)/2 and
 * b_j = exp(-i pi j^2/n), Bluestein's is y_k = b_k sum_j (b_j x_j) conj(b_(k-j)), done cyclically
 * with length m >= 2n - 1. The inverse is the transform with both parts exchanged. */
static void fft_core_run(const fft_core *p, fd_cplx *x, fd_cplx *y)
{
    const fft_core *q = p->conv;
    if (q) {
        for (int j = 0; j < p->n; j++) y[j] = c_mul(x[j], p->chirp[j]);
        memset(y + p->n, 0, (size_t)(q->n - p->n) * sizeof *y);
        fft_core_run(q, y, y + q->n);
        for (int j = 0; j < q->n; j++) y[j] = c_swap(c_mul(y[j], p->hat[j]));
        fft_core_run(q, y, y + q->n);
        for (int k = 0; k < p->n; k++) x[k] = c_mul(c_swap(y[k]), p->chirp[k]);
        return;
    }
    ptrdiff_t l1 = 1;
    for (int t = 0; t < p->nf; l1 *= p->f[t++]) {
        fft_pass(p, p->f[t], l1, x, y);
        memcpy(x, y, (size_t)p->n * sizeof *x);
    }
}

/* Radices of n: 4, then primes in ascending order. Returns their number. */
static int fft_factors(int n, int f[FFT_MAXF])
{
    int nf = 0;
    for (; n % 4 == 0; n /= 4) f[nf++] = 4;
    for (int p = 2; (int64_t)p * p <= n; p++) for (; n % p == 0; n /= p) f[nf++] = p;
    if (n > 1) f[nf++] = n;
    return nf;
}

static const fft_core *fft_core_plan(fd_arena *a, int n)
{
    fft_core *p = fd_new(a, fft_core, 1);
    if (!p) return NULL;
    p->n = n;
    p->nf = fft_factors(n, p->f);
    if (!p->nf || p->f[p->nf - 1] <= FFT_DIRECT) {
        p->w = (fd_cplx *)fft_roots(a, n, 0, 1, n, 1);
        p->room = n;
        return p->w ? p : NULL;
    }
    int64_t m = 4;                                       /* 2^s or 3 2^s, at least 2n - 1 */
    while (m < 2 * (int64_t)n - 1) m *= 2;
    if (m / 4 * 3 >= 2 * (int64_t)n - 1) m = m / 4 * 3;
    fd_cplx *chirp = fd_raw(a, fd_cplx, n), *hat = fd_new(a, fd_cplx, m);
    p->conv = fft_core_plan(a, (int)m);
    fd_arena tmp = *a;
    fd_cplx *y = fd_raw(&tmp, fd_cplx, m);
    if (!y) return NULL;
    for (int j = 0; j < n; j++) {
        fft_root_to(&chirp[j].re, (int64_t)j * j % (2 * (int64_t)n), 2 * (int64_t)n, 1);
        hat[j] = (fd_cplx){ chirp[j].re / (fd_real)m, -chirp[j].im / (fd_real)m };
        if (j) hat[m - j] = hat[j];
    }
    fft_core_run(p->conv, hat, y);
    p->chirp = chirp;
    p->hat = hat;
    p->room = 2 * (ptrdiff_t)m;
    return p;
}

/* Cosines and sines are parts of a complex transform of length 2M. With j + A/2 and k + B/2 the
 * places of numbers and modes,
 *
 *     exp(-i pi (j + A/2)(k + B/2)/M) = w_4M^(jB) w_2M^(jk) w_8M^(A(2k + B))
 *
 * so y_k is the real part, or minus the imaginary one, of out_k F_2M(in_j x_j, zeros)_k. */
static const struct { int A, B, more; } fft_kind[] = {              /* M = n + more */
    [FD_DCT1] = { 0, 0, -1 }, [FD_DST1] = { 2, 2, 1 },
    [FD_DCT2] = { 1, 0, 0 },  [FD_DST2] = { 1, 2, 0 },
    [FD_DCT3] = { 0, 1, 0 },  [FD_DST3] = { 2, 1, 0 },
    [FD_DCT4] = { 1, 1, 0 },  [FD_DST4] = { 1, 1, 0 },
};

struct fd_fft {
    int kind, n;
    const fft_core *core;
    const fd_cplx *in, *out;              /* cosines and sines; NULL for the others */
    ptrdiff_t room;                       /* numbers of scratch, the line included */
};

static int fft_plan_fill(fd_arena *a, fd_fft *p)
{
    const int n = p->n, kind = p->kind;
    int len = n;
    if (kind > FD_R2C) {
        const int A = fft_kind[kind].A, B = fft_kind[kind].B, M = n + fft_kind[kind].more;
        fd_cplx *in = (fd_cplx *)fft_roots(a, n, 0, B, 4 * (int64_t)M, 1);
        p->in = in;
        p->out = (fd_cplx *)fft_roots(a, n, A * B, 2 * A, 8 * (int64_t)M, 1);
        if (!p->out) return 0;
        for (int j = 0; j < n; j++)
            if (!((j == 0 && (kind == FD_DCT1 || kind == FD_DCT3))
               || (j == n - 1 && (kind == FD_DCT1 || kind == FD_DST3))))
                in[j] = c_add(in[j], in[j]);             /* all but these ends count twice */
        len = 2 * M;
    }
    p->core = fft_core_plan(a, len);
    p->room = p->core ? len + p->core->room : 0;
    return !!p->core;
}

/* z = the spectrum of the n real numbers x[j s], at least the first half */
static void fft_real_run(const fft_core *p, const fd_real *x, ptrdiff_t s, fd_cplx *z)
{
    for (int j = 0; j < p->n; j++) z[j] = (fd_cplx){ x[j * s], 0 };
    fft_core_run(p, z, z + p->n);
    z[0].im = 0;
    if (p->n % 2 == 0) z[p->n / 2].im = 0;
}

/* x[j s] = scale times the n real numbers of the half spectrum z[n/2 + 1], the ends real */
static void fft_real_back(const fft_core *p, fd_real scale, fd_cplx *z, fd_real *x, ptrdiff_t s)
{
    const int n = p->n;
    z[0].im = 0;
    if (n % 2 == 0) z[n / 2].im = 0;
    for (int k = n - 1; k > n / 2; k--) z[k] = (fd_cplx){ -z[n - k].im, z[n - k].re };
    for (int k = 0; k <= n / 2; k++) z[k] = c_swap(z[k]);
    fft_core_run(p, z, z + n);
    for (int j = 0; j < n; j++) x[j * s] = z[j].im * scale;
}

/* Transform the line x[j s] in place; z[room]: scratch. */
static void fft_line(const fd_fft *p, int sign, fd_real scale, fd_real *x, ptrdiff_t s, fd_cplx *z)
{
    const int n = p->n, sine = p->kind >= FD_DST1;
    if (p->kind == FD_C2C) {
        for (int j = 0; j < n; j++) {
            z[j] = (fd_cplx){ x[j * s], x[j * s + 1] };
            if (sign > 0) z[j] = c_swap(z[j]);
        }
        fft_core_run(p->core, z, z + n);
        for (int k = 0; k < n; k++) {
            if (sign > 0) z[k] = c_swap(z[k]);
            x[k * s] = z[k].re * scale;
            x[k * s + 1] = z[k].im * scale;
        }
    } else if (p->kind == FD_R2C && sign < 0) {
        fft_real_run(p->core, x, s, z);
        for (int k = 0; k < n; k++)
            x[k * s] = (k % 2 || !k ? z[(k + 1) / 2].re : z[k / 2].im) * scale;
    } else if (p->kind == FD_R2C) {
        for (int k = 0; k <= n / 2; k++)
            z[k] = (fd_cplx){ x[k ? (2 * k - 1) * s : 0], 2 * k < n ? x[2 * k * s] : 0 };
        fft_real_back(p->core, scale, z, x, s);
    } else {
        const int len = p->core->n;
        for (int j = 0; j < len; j++)
            z[j] = j < n ? (fd_cplx){ x[j * s] * p->in[j].re, x[j * s] * p->in[j].im }
                         : (fd_cplx){ 0, 0 };
        fft_core_run(p->core, z, z + len);
        for (int k = 0; k < n; k++) {
            const fd_cplx y = c_mul(z[k], p->out[k]);
            x[k * s] = (sine ? -y.im : y.re) * scale;
        }
    }
}

size_t fd_fft_room(const fd_fft *p, ptrdiff_t lines, ptrdiff_t stride, int threads)
{
    (void)lines, (void)stride, (void)threads;
    return (size_t)p->room * sizeof(fd_cplx) + 2 * FD_REDZONE;
}

void fd_fft_run(const fd_fft *p, int sign, double scale, ptrdiff_t lines, ptrdiff_t dist,
                ptrdiff_t stride, fd_real *x, fd_arena scratch)
{
    if (!p || lines < 1) return;
    const int unit = p->kind == FD_C2C ? 2 : 1;
    fd_cplx *z = fd_raw(&scratch, fd_cplx, p->room);
    for (ptrdiff_t l = 0; z && l < lines; l++)
        fft_line(p, sign, (fd_real)scale, x + l * dist * unit, stride * unit, z);
}

/* Functions x [rows][len] to half spectra u [rows][half], sign -1, and back, sign +1. Forwards
 * lines along the last axis come first, then the axes before it; backwards the other way round,
 * in w, as u is not to be changed. */
static void fft_grid_run(const char *where, int nd, const int n[], int b, int sign, double scale,
                         fd_real *x, fd_cplx *u, fd_arena scratch)
{
    const fd_fft *p[FD_MAXD];
    ptrdiff_t rows = 1, room = 0;
    if (fft_grid_refuses(where, nd, scratch.st)) return;
    for (int i = 0; i < nd; i++) {
        p[i] = fd_fft_plan(&scratch, i == nd - 1 ? FD_R2C : FD_C2C, n[i]);
        if (!p[i]) return;
        if (p[i]->room > room) room = p[i]->room;
        if (i < nd - 1) rows *= n[i];
    }
    const fft_core *last = p[nd - 1]->core;
    const ptrdiff_t len = last->n, half = len / 2 + 1, size = rows * half;
    fd_cplx *z = fd_raw(&scratch, fd_cplx, room);
    fd_cplx *w = sign < 0 ? u : fd_raw(&scratch, fd_cplx, size);
    if (!z || !w) return;
    for (; b-- > 0; x += rows * len, u += size) {
        if (sign < 0) w = u;
        else memcpy(w, u, (size_t)size * sizeof *w);
        for (ptrdiff_t r = 0; sign < 0 && r < rows; r++) {
            fft_real_run(last, x + r * len, 1, z);
            for (ptrdiff_t k = 0; k < half; k++)
                w[r * half + k] = (fd_cplx){ z[k].re * (fd_real)scale, z[k].im * (fd_real)scale };
        }
        ptrdiff_t inner = sign < 0 ? half : size;
        for (int i = 0; i < nd - 1; i++) {
            const int axis = sign < 0 ? nd - 2 - i : i;
            if (sign > 0) inner /= n[axis];
            for (ptrdiff_t l = 0, n1 = n[axis]; l < size / n1; l++)   /* elements inner apart */
                fft_line(p[axis], sign, 1, &w[l / inner * inner * n1 + l % inner].re, 2 * inner, z);
            if (sign < 0) inner *= n[axis];
        }
        for (ptrdiff_t r = 0; sign > 0 && r < rows; r++) {
            memcpy(z, w + r * half, (size_t)half * sizeof *z);
            fft_real_back(last, (fd_real)scale, z, x + r * len, 1);
        }
    }
}

#else

typedef struct { fd_vec r, i; } fft_z;                  /* one complex number in each lane */

/* With 32 registers the radices are large, 16 first in long lines; with 16 registers they are 4
 * where possible, which just fits, and 8. */
#if FD_BYTES == 64 || defined(FD_STRICT)
enum { FFT_FEW = 0, FFT_FIRST = 16 };
#else
enum { FFT_FEW = 1, FFT_FIRST = 8 };
#endif

/* FD_SMALL has one body for all radices in place of one for each: the same bits from less code. */
#ifdef FD_SMALL
#define FFT_BODY static
#else
#define FFT_BODY FD_INLINE
#endif

/* ---- 3. Small transforms ------------------------------------------------------------------------
 *
 * In place on r complex numbers, r a constant wherever they are used. Odd r: with
 * p_j = a_j + a_r-j, m_j = a_j - a_r-j, h = (r-1)/2,
 *
 *     y_k, y_r-k = a_0 + sum_{j=1..h} cos(2 pi jk/r) p_j  -+  i sum_{j=1..h} sin(2 pi jk/r) m_j
 *
 * so half of the products are shared; c[2q-2], c[2q-1] are cos and sin of 2 pi q/r. */

FD_INLINE fft_z z_add(fft_z a, fft_z b) { return (fft_z){ a.r + b.r, a.i + b.i }; }
FD_INLINE fft_z z_sub(fft_z a, fft_z b) { return (fft_z){ a.r - b.r, a.i - b.i }; }
FD_INLINE fft_z z_mi(fft_z a) { return (fft_z){ a.i, -a.r }; }       /* -i a */
FD_INLINE fft_z z_mul(fft_z a, const fd_real *w)
{
    return (fft_z){ a.r * w[0] - a.i * w[1], a.r * w[1] + a.i * w[0] };
}
FD_INLINE fft_z z_mulv(fft_z a, fd_vec r, fd_vec i)
{
    return (fft_z){ a.r * r - a.i * i, a.r * i + a.i * r };
}

FD_INLINE void fft_4(fft_z *a0, fft_z *a1, fft_z *a2, fft_z *a3)
{
    fft_z s = z_add(*a0, *a2), d = z_sub(*a0, *a2), t = z_add(*a1, *a3), e = z_mi(z_sub(*a1, *a3));
    *a0 = z_add(s, t);
    *a1 = z_add(d, e);
    *a2 = z_sub(s, t);
    *a3 = z_sub(d, e);
}

FD_INLINE void fft_2(fft_z *a)
{
    fft_z d = z_sub(a[0], a[1]);
    a[0] = z_add(a[0], a[1]);
    a[1] = d;
}

FD_INLINE void fft_8(fft_z *a)
{
    const fd_real h = (fd_real)0.70710678118654752440;
    fft_z e0 = a[0], e1 = a[2], e2 = a[4], e3 = a[6], o0 = a[1], o1 = a[3], o2 = a[5], o3 = a[7];
    fft_4(&e0, &e1, &e2, &e3);
    fft_4(&o0, &o1, &o2, &o3);
    o1 = (fft_z){ (o1.i + o1.r) * h, (o1.i - o1.r) * h };            /* times w_8, w_8^2, w_8^3 */
    o2 = z_mi(o2);
    o3 = (fft_z){ (o3.i - o3.r) * h, (o3.i + o3.r) * -h };
    a[0] = z_add(e0, o0); a[4] = z_sub(e0, o0);
    a[1] = z_add(e1, o1); a[5] = z_sub(e1, o1);
    a[2] = z_add(e2, o2); a[6] = z_sub(e2, o2);
    a[3] = z_add(e3, o3); a[7] = z_sub(e3, o3);
}

FD_INLINE void fft_16(fft_z *a)
{
    const fd_real c = (fd_real)0.92387953251128675613, s = (fd_real)0.38268343236508977173,
                  h = (fd_real)0.70710678118654752440;                /* w_16 = c - i s */
    fft_z b[16];
    FD_UNROLL
    for (int j = 0; j < 4; j++) fft_4(a + j, a + j + 4, a + j + 8, a + j + 12);
    a[5]  = z_mul(a[5],  (fd_real[]){ c, -s });                       /* a[j + 4k] *= w_16^jk */
    a[6]  = z_mul(a[6],  (fd_real[]){ h, -h });
    a[7]  = z_mul(a[7],  (fd_real[]){ s, -c });
    a[9]  = z_mul(a[9],  (fd_real[]){ h, -h });
    a[10] = z_mi(a[10]);
    a[11] = z_mul(a[11], (fd_real[]){ -h, -h });
    a[13] = z_mul(a[13], (fd_real[]){ s, -c });
    a[14] = z_mul(a[14], (fd_real[]){ -h, -h });
    a[15] = z_mul(a[15], (fd_real[]){ -c, s });
    FD_UNROLL
    for (int k = 0; k < 4; k++) fft_4(a + 4 * k, a + 4 * k + 1, a + 4 * k + 2, a + 4 * k + 3);
    FD_UNROLL
    for (int k = 0; k < 16; k++) b[k] = a[k % 4 * 4 + k / 4];
    FD_UNROLL
    for (int k = 0; k < 16; k++) a[k] = b[k];
}

/* u_k = a + sum_j cos(2 pi jk/r) p_j and v_k = sum_j sin(2 pi jk/r) m_j for j, k = 1..h; every
 * number is `parts` vectors: 1 real, 2 complex. Above 11 the loops stay loops, over K outputs at a
 * time, so that u and v need room for a multiple of K; c is the matrix of all cosines and sines in
 * the order of use; and a long sum is one of sums of 12, for its rounding. */
enum { FFT_HAND = 11, FFT_K = FD_BYTES == 64 ? 4 : 2, FFT_SUM = 12 };

FFT_BODY void fft_sums(int r, int parts, const fd_real *c, const fd_vec *a, const fd_vec *p,
                         const fd_vec *m, fd_vec *u, fd_vec *v)
{
    int h = r / 2;
    if (r <= FFT_HAND) {
        FD_UNROLL
        for (int k = 0; k < h; k++) {
            FD_UNROLL
            for (int e = 0; e < parts; e++) {
                fd_vec x = a[e] + p[e] * c[2 * k], y = m[e] * c[2 * k + 1];
                FD_UNROLL
                for (int j = 1; j < h; j++) {
                    int q = (j + 1) * (k + 1) % r;
                    x += p[parts * j + e] * c[2 * (q > h ? r - q : q) - 2];
                    if (q > h) y -= m[parts * j + e] * c[2 * (r - q) - 1];
                    else       y += m[parts * j + e] * c[2 * q - 1];
                }
                u[parts * k + e] = x;
                v[parts * k + e] = y;
            }
        }
        return;
    }
    for (int k = 0; k < h; k += FFT_K, u += parts * FFT_K, v += parts * FFT_K)
        for (int b = 0; b < h; b += FFT_SUM) {
            fd_vec x[2 * FFT_K], y[2 * FFT_K];
            int end = h - b < FFT_SUM ? h - b : FFT_SUM;
            const fd_vec *pj = p + parts * b, *mj = m + parts * b;
            FD_UNROLL
            for (int e = 0; e < parts * FFT_K; e++) {
                x[e] = pj[e % parts] * c[e / parts * 2];
                y[e] = mj[e % parts] * c[e / parts * 2 + 1];
            }
            for (c += 2 * FFT_K; --end; c += 2 * FFT_K) {
                pj += parts;
                mj += parts;
                FD_UNROLL
                for (int e = 0; e < parts * FFT_K; e++) {
                    x[e] += pj[e % parts] * c[e / parts * 2];
                    y[e] += mj[e % parts] * c[e / parts * 2 + 1];
                }
            }
            FD_UNROLL
            for (int e = 0; e < parts * FFT_K; e++) {
                u[e] = (b ? u[e] : a[e % parts]) + x[e];
                v[e] = b ? v[e] + y[e] : y[e];
            }
        }
}

FFT_BODY void fft_odd(int r, const fd_real *c, fft_z *a)
{
    fft_z p[FFT_HAND / 2], m[FFT_HAND / 2], u[FFT_HAND / 2], v[FFT_HAND / 2], s = a[0];
    FD_UNROLL
    for (int j = 1; 2 * j < r; j++) {
        p[j - 1] = z_add(a[j], a[r - j]);
        m[j - 1] = z_sub(a[j], a[r - j]);
        s = z_add(s, p[j - 1]);
    }
    fft_sums(r, 2, c, (fd_vec *)a, (fd_vec *)p, (fd_vec *)m, (fd_vec *)u, (fd_vec *)v);
    a[0] = s;
    FD_UNROLL
    for (int j = 1; 2 * j < r; j++) {
        a[j] = z_add(u[j - 1], z_mi(v[j - 1]));
        a[r - j] = z_sub(u[j - 1], z_mi(v[j - 1]));
    }
}

/* ---- 4. Passes ----------------------------------------------------------------------------------
 *
 * Stockham, decimation in frequency: one pass with radix r takes n = r ido l1 numbers
 *
 *     y[i + ido (k + l1 q)] = w_(r ido)^(iq) sum_j w_r^(jq) x[i + ido (j + r k)]
 *
 * for i < ido, k < l1; l1 is the product of the radices before it. The last pass (ido = 1) leaves
 * the result in order. w holds w_(r ido)^(iq) for q = 1..r-1, one row for each i. t: 2r + 2K
 * numbers of scratch for a prime above 11. The first pass may read numbers xs apart, exchanged
 * where xw is set, and the last one write them ys apart, exchanged where yw is set. */

FD_INLINE fft_z z_get(const fft_z *x, int swap)
{
    const fd_vec *v = (const fd_vec *)x;
    return (fft_z){ v[swap], v[1 - swap] };
}
FD_INLINE void z_put(fft_z *y, int swap, fft_z a) { *y = swap ? (fft_z){ a.i, a.r } : a; }

FFT_BODY void fft_radix(int r, ptrdiff_t ido, ptrdiff_t l1, const fd_real *w, const fd_real *c,
                        const fft_z *restrict x, ptrdiff_t xs, int xw,
                        fft_z *restrict y, ptrdiff_t ys, int yw)
{
    const int last = FFT_FEW && ido == 1;                            /* one loop, over k */
    const ptrdiff_t outer = last ? 1 : l1, inner = last ? l1 : ido, step = last ? r : 1;
    for (ptrdiff_t k = 0; k < outer; k++) {
        for (ptrdiff_t i = 0; i < inner; i++) {
            const fft_z *in = x + (i * step + ido * r * k) * xs;
            fft_z *out = y + (i + ido * k) * ys, a[16];
            a[0] = z_get(in, xw);
            FD_UNROLL
            for (int j = 1; j < r; j++) a[j] = z_get(in + ido * j * xs, xw);
            if (r == 2) fft_2(a);
            else if (r == 4) fft_4(a, a + 1, a + 2, a + 3);
            else if (r == 8) fft_8(a);
            else if (r == 16) fft_16(a);
            else fft_odd(r, c, a);
            z_put(out, yw, a[0]);
            FD_UNROLL
            for (int q = 1; q < r; q++)
                z_put(out + ido * l1 * q * ys, yw,
                      ido == 1 ? a[q] : z_mul(a[q], w + 2 * ((r - 1) * i + q - 1)));
        }
    }
}

static void fft_prime(int r, ptrdiff_t ido, ptrdiff_t l1, const fd_real *w, const fd_real *c,
                      fft_z *restrict x, fft_z *restrict y, fft_z *restrict t)
{
    int h = r / 2;
    fft_z *p = t, *m = t + h, *u = t + 2 * h, *v = u + h + FFT_K;
    for (ptrdiff_t k = 0; k < l1; k++) {
        for (ptrdiff_t i = 0; i < ido; i++) {
            fft_z *in = x + i + ido * r * k, *out = y + i + ido * k, s = in[0];
            for (int j = 1; j <= h; j++) {
                p[j - 1] = z_add(in[ido * j], in[ido * (r - j)]);
                m[j - 1] = z_sub(in[ido * j], in[ido * (r - j)]);
                s = z_add(s, p[j - 1]);
            }
            fft_sums(r, 2, c, (fd_vec *)in, (fd_vec *)p, (fd_vec *)m, (fd_vec *)u, (fd_vec *)v);
            out[0] = s;
            for (int q = 1; q <= h; q++) {
                const fd_real *f = w + 2 * ((r - 1) * i - 1);
                fft_z e = z_mi(v[q - 1]);
                out[ido * l1 * q] = z_mul(z_add(u[q - 1], e), f + 2 * q);
                out[ido * l1 * (r - q)] = z_mul(z_sub(u[q - 1], e), f + 2 * (r - q));
            }
        }
    }
}

#ifdef FD_SMALL
#define FFT_HAND_PASS(r, ...) { fft_radix(r, __VA_ARGS__); }
#else
#define FFT_HAND_PASS(r, ...) \
    switch (r) { \
    case 2:  fft_radix(2, __VA_ARGS__); break; \
    case 3:  fft_radix(3, __VA_ARGS__); break; \
    case 4:  fft_radix(4, __VA_ARGS__); break; \
    case 5:  fft_radix(5, __VA_ARGS__); break; \
    case 7:  fft_radix(7, __VA_ARGS__); break; \
    case 8:  fft_radix(8, __VA_ARGS__); break; \
    case 11: fft_radix(11, __VA_ARGS__); break; \
    default: fft_radix(16, __VA_ARGS__); \
    }
#endif

static void fft_pass(int r, ptrdiff_t ido, ptrdiff_t l1, const fd_real *w, const fd_real *c,
                     fft_z *restrict x, fft_z *restrict y, fft_z *restrict t)
{
    if (r % 2 && r > FFT_HAND) fft_prime(r, ido, l1, w, c, x, y, t);
    else if (FFT_FEW && ido == 1) FFT_HAND_PASS(r, 1, l1, w, c, x, 1, 0, y, 1, 0)
    else FFT_HAND_PASS(r, ido, l1, w, c, x, 1, 0, y, 1, 0)
}

/* radices by hand; a first or last pass */
static void fft_pass_apart(int r, ptrdiff_t ido, ptrdiff_t l1, const fd_real *w, const fd_real *c,
                           const fft_z *restrict x, ptrdiff_t xs, int xw,
                           fft_z *restrict y, ptrdiff_t ys, int yw)
{
    if (FFT_FEW && ido == 1) FFT_HAND_PASS(r, 1, l1, w, c, x, xs, xw, y, ys, yw)
    else FFT_HAND_PASS(r, ido, l1, w, c, x, xs, xw, y, ys, yw)
}

/* ---- 5. Complex lines ---------------------------------------------------------------------------
 *
 * By passes; or, where n has a large prime factor and that is cheaper, by Bluestein: with
 * jk = (j^2 + k^2 - (k-j)^2)/2 and b_j = exp(-i pi j^2/n),
 *
 *     y_k = b_k sum_j (b_j x_j) conj(b_(k-j)),
 *
 * a convolution, done cyclically by transforms of a length m with small factors, m >= 2n - 1, or
 * about 3n/2 where half of the results or of the x_j are not wanted. j^2 is mod 2n. */

enum { FFT_MAXF = 20, FFT_LONG = 256 };    /* 3^18 < 2^29 < 3^19: 18 radices at most */

typedef struct fft_core {
    int n, nf, f[FFT_MAXF];               /* length and radices */
    const fd_real *w[FFT_MAXF], *c[FFT_MAXF];     /* of each pass: factors w, cosines and sines */
    const struct fft_core *conv;          /* Bluestein: transform of length m; else NULL */
    const fd_real *chirp, *hat;           /* b_j, j < n; transform of conj(b) / m */
    ptrdiff_t room;                       /* numbers of scratch that fft_core_run wants */
} fft_core;

/* Radices of n, in the order of the passes: FFT_FIRST for section 9, odd ones, 4, 8; returns their
 * number. */
static int fft_factors(int n, int f[FFT_MAXF])
{
    int two = 0, nf = 0;
    if (n % FFT_FIRST == 0 && n >= FFT_LONG) {
        f[nf++] = FFT_FIRST;
        n /= FFT_FIRST;
    }
    for (; n % 2 == 0; n /= 2) two++;
    for (int p = 3; (int64_t)p * p <= n; p += 2) for (; n % p == 0; n /= p) f[nf++] = p;
    if (n > 1) f[nf++] = n;
    if (two == 1) f[nf++] = 2;                       /* 2^two = 8^a 4^b, b <= 2 or a <= 1 */
    else if (two) {
        int b = FFT_FEW ? two / 2 - two % 2 : two % 3 == 0 ? 0 : two % 3 == 1 ? 2 : 1;
        for (int i = 0; i < b; i++) f[nf++] = 4;
        for (int i = 0; i < (two - 2 * b) / 3; i++) f[nf++] = 8;
    }
    return nf;
}

/* Vector operations of a transform by passes, roughly; with few registers also what does not fit
 * (of 7 and primes), and the way of all numbers from one cache to the next. */
static double fft_cost(int n)
{
    int f[FFT_MAXF], nf = fft_factors(n, f);
    double per = 0;
    for (int t = 0; t < nf; t++)
        per += (f[t] == 16 ? 14 : f[t] + (f[t] <= 8 ? 4 : f[t] <= FFT_HAND ? 8 : 12))
             + (!FFT_FEW ? 0 : f[t] > FFT_HAND ? 0.35 * f[t] : f[t] == 7 ? 6 : 3);
    return per * n;
}

/* The cheapest length >= n with factors 2, 3, 5, 7 only, and its cost. */
static int fft_smooth(int n, double *cost)
{
    int best = 0;
    for (int64_t a = 1; a < 2 * (int64_t)n; a *= 7)
        for (int64_t b = a; b < 2 * (int64_t)n; b *= 5)
            for (int64_t c = b; c < 2 * (int64_t)n; c *= 3) {
                int64_t m = c;                                      /* < 2^31: n is at most 2^29 */
                while (m < n) m *= 2;
                double w = fft_cost((int)m);
                if (!best || w < *cost) { best = (int)m; *cost = w; }
            }
    return best;
}

/* Passes i..end-1 of x, from l1 and n = r ido on; the result is in x or y, as returned. */
static fft_z *fft_some(const fft_core *p, int i, int end, ptrdiff_t l1, ptrdiff_t n, fft_z *x,
                       fft_z *y, fft_z *t)
{
    for (; i < end; l1 *= p->f[i++]) {
        n /= p->f[i];
        fft_pass(p->f[i], n, l1, p->w[i], p->c[i], x, y, t);
        fft_z *z = x;
        x = y;
        y = z;
    }
    return x;
}

/* The passes from number i on, on x[n]. */
static fft_z *fft_passes(const fft_core *p, int i, ptrdiff_t n, fft_z *x, fft_z *y)
{
    return fft_some(p, i, p->nf, 1, n, x, y, y + n);
}

/* The first `outs` numbers of the transform of x[ins] and zeros, in x; back: lags k - j reversed */
static fft_z *fft_bluestein(const fft_core *p, int ins, int outs, int back, fft_z *x, fft_z *y)
{
    const fft_core *q = p->conv;
    const fd_real *hat = p->hat;
    fft_z *s;
    for (int j = 0; j < ins; j++) y[j] = z_mul(x[j], p->chirp + 2 * j);
    memset(y + ins, 0, (size_t)(q->n - ins) * sizeof *y);
    s = fft_passes(q, 0, q->n, y, y + q->n);
    for (int j = 0; j < q->n; j++) {
        fft_z z = z_mul(s[j], hat + 2 * (back && j ? q->n - j : j));
        s[j] = (fft_z){ z.i, z.r };                                  /* the inverse, by exchange */
    }
    s = fft_passes(q, 0, q->n, s, s == y ? y + q->n : y);
    for (int j = 0; j < outs; j++) x[j] = z_mul((fft_z){ s[j].i, s[j].r }, p->chirp + 2 * j);
    return x;
}

/* Transform x[n]; the result is in x or in y[room], whichever is returned. */
static fft_z *fft_core_run(const fft_core *p, fft_z *x, fft_z *y)
{
    return p->conv ? fft_bluestein(p, p->n, p->n, 0, x, y) : fft_passes(p, 0, p->n, x, y);
}

/* Transform in place the numbers x[j step], where swap is set exchanged on the way in and out;
 * y: scratch, n numbers more than fft_core_run wants. */
static void fft_core_apart(const fft_core *p, fft_z *x, ptrdiff_t step, int swap, fft_z *y)
{
    const int n = p->n, last = p->nf - 1;
    if (!p->conv && last > 0 && p->f[last] <= FFT_HAND && (p->f[0] <= FFT_HAND || p->f[0] == 16)) {
        const ptrdiff_t ido = n / p->f[0], end = n / p->f[last];
        fft_pass_apart(p->f[0], ido, 1, p->w[0], p->c[0], x, step, swap, y, 1, 0);
        const fft_z *z = fft_some(p, 1, last, p->f[0], ido, y, y + n, y + 2 * n);
        fft_pass_apart(p->f[last], 1, end, p->w[last], p->c[last], z, 1, 0, x, step, swap);
        return;
    }
    for (int k = 0; k < n; k++) y[k] = z_get(x + k * step, swap);
    const fft_z *z = fft_core_run(p, y, y + n);
    for (int k = 0; k < n; k++) z_put(x + k * step, swap, z[k]);
}

/* Cosines and sines of a radix, as fft_sums reads them. */
static fd_real *fft_sums_plan(fd_arena *a, int r)
{
    int h = r / 2, rows = r <= FFT_HAND ? 1 : (h + FFT_K - 1) / FFT_K * FFT_K;
    fd_real *c = fd_new(a, fd_real, (ptrdiff_t)2 * rows * h);
    if (!c) return NULL;
    for (int k = 0; k < rows; k++)
        for (int j = 0; j < h; j++) {
            ptrdiff_t at = r <= FFT_HAND ? j : ((ptrdiff_t)(k / FFT_K) * h + j) * FFT_K + k % FFT_K;
            if (k >= h) continue;
            fft_root_to(c + 2 * at, (int64_t)(j + 1) * (k + 1), r, 1);
            c[2 * at + 1] = -c[2 * at + 1];
        }
    return c;
}

/* The length for Bluestein where that is cheaper than passes, which cost `much` times those of a
 * complex transform; else 0. Lags k - j from 1 - n to outs - 1 are wanted. */
static int fft_bluestein_length(int n, int outs, double much)
{
    int f[FFT_MAXF], nf = fft_factors(n, f), big = 1;
    double cost = 0;
    for (int t = 0; t < nf; t++) if (f[t] > big && f[t] != 16) big = f[t];
    if (big <= FFT_HAND) return 0;
    int m = fft_smooth(n + outs - 1, &cost);
    return 2 * cost + 12.0 * m < much * fft_cost(n) ? m : 0;
}

/* m: length for Bluestein with lags to outs - 1, or 0 */
static const fft_core *fft_core_plan(fd_arena *a, int n, int m, int outs)
{
    fft_core *p = fd_new(a, fft_core, 1);
    if (!p) return NULL;
    p->n = n;
    if (m) {
        fd_real *chirp = fd_raw(a, fd_real, 2 * (ptrdiff_t)n);
        fd_real *hat = fd_raw(a, fd_real, 2 * (ptrdiff_t)m);
        p->conv = fft_core_plan(a, m, 0, 0);
        const fd_vec zero = { 0 };
        fd_arena tmp = *a;
        fft_z *x = fd_new(&tmp, fft_z, m), *y = fd_raw(&tmp, fft_z, p->conv ? p->conv->room : 0);
        if (!y) return NULL;
        for (int j = 0; j < n; j++) {
            fd_real *b = chirp + 2 * j;
            fft_root_to(b, (int64_t)j * j % (2 * (int64_t)n), 2 * (int64_t)n, 1);
            fft_z z = { zero + b[0], zero - b[1] };                  /* conj b_j, in each lane */
            if (j < outs) x[j] = z;
            if (j) x[m - j] = z;
        }
        const fft_z *s = fft_core_run(p->conv, x, y);
        for (int j = 0; j < m; j++) {
            fd_real lane[2];
            memcpy(lane, &s[j].r, sizeof *lane);
            memcpy(lane + 1, &s[j].i, sizeof *lane);
            hat[2 * j] = lane[0] / (fd_real)m;
            hat[2 * j + 1] = lane[1] / (fd_real)m;
        }
        p->chirp = chirp;
        p->hat = hat;
        p->room = 2 * (ptrdiff_t)m;
        return p;
    }
    ptrdiff_t ido = n, prime = 0;
    p->nf = fft_factors(n, p->f);
    for (int t = 0; t < p->nf; t++) {
        int r = p->f[t];
        if (r & 1 && r > FFT_HAND) prime = 2 * (r + FFT_K);
        p->c[t] = r & 1 ? fft_sums_plan(a, r) : NULL;
        fd_real *w = fd_raw(a, fd_real, 2 * (r - 1) * (ido / r));
        if (!w) return NULL;
        p->w[t] = w;
        for (ptrdiff_t i = 0; i < ido / r; i++)
            for (int q = 1; q < r; q++) fft_root_to(w + 2 * ((r - 1) * i + q - 1), i * q, ido, 1);
        ido /= r;
    }
    p->room = n + prime;
    return p;
}

/* ---- 6. Real lines ------------------------------------------------------------------------------
 *
 * Half spectra X_0..X_floor(n/2) of real lines. Even n = 2h: z_j = x_2j + i x_2j+1, Z = F z, and
 * with E_k = (Z_k + conj Z_h-k)/2, O_k = (Z_k - conj Z_h-k)/2i
 *
 *     X_k = E_k + w_n^k O_k,   X_h-k = conj(E_k - w_n^k O_k).
 *
 * Odd n = r m: one pass of radix r on real numbers, as in section 4 with l1 = 1: q = 0 leaves m
 * real numbers, whose transform gives X_rs; of q and r - q, conjugates of each other, only q <= r/2
 * is kept, and the complex transform of its m numbers gives X_q+rs for all s, which covers X_-q+rs
 * too. The m real numbers are treated in the same way, with the next factor. Where that costs more
 * than a complex transform, because of a large prime, the complex one is made. The inverses run
 * backwards. */

typedef struct fft_real {
    int n;
    const fft_core *core;                 /* even: length n/2; odd: n, or NULL for passes */
    const fd_real *w;                     /* even: w_n^k / 2, k <= n/4 */
    int levels, r[FFT_MAXF];              /* odd: passes on real numbers */
    const fft_core *sub[FFT_MAXF];        /* transform of length m of each */
    const fd_real *wf[FFT_MAXF], *wb[FFT_MAXF];   /* w_n^iq, and twice that */
    const fd_real *c[FFT_MAXF];           /* cosines and sines */
    ptrdiff_t room;                       /* numbers of scratch */
} fft_real;

/* index on level t of number q + r s of n: where X lies, and whether it is the conjugate */
FD_INLINE fft_z *fft_real_at(fft_z *s, ptrdiff_t step, ptrdiff_t n, ptrdiff_t q, int *conj)
{
    *conj = 2 * q > n;
    return s + step * (*conj ? n - q : q);
}

FFT_BODY void fft_real_split(int r, ptrdiff_t m, const fd_real *w, const fd_real *c,
                               fd_vec *restrict v, fft_z *restrict y, fd_vec *restrict t)
{
    fd_vec small[4 * (FFT_HAND / 2) + 2 * FFT_K];
    int h = r / 2;
    fd_vec *p = r <= FFT_HAND ? small : t, *d = p + h, *u = p + 2 * h, *s = u + h + FFT_K;
    for (ptrdiff_t i = 0; i < m; i++) {
        fd_vec a = v[i], y0 = a;
        FD_UNROLL
        for (int j = 1; j <= h; j++) {
            p[j - 1] = v[i + m * j] + v[i + m * (r - j)];
            d[j - 1] = v[i + m * j] - v[i + m * (r - j)];
            y0 += p[j - 1];
        }
        fft_sums(r, 1, c, &a, p, d, u, s);
        v[i] = y0;
        FD_UNROLL
        for (int q = 1; q <= h; q++)
            y[i + m * (q - 1)] = z_mul((fft_z){ u[q - 1], -s[q - 1] }, w + 2 * (h * i + q - 1));
    }
}

/* x_i+mj = Y_0 + 2 sum_q Re(Y_q w_n^-iq w_r^-jq); y holds swap(Y), and w the factor 2 */
FFT_BODY void fft_real_join(int r, ptrdiff_t m, const fd_real *w, const fd_real *c,
                              fd_vec *restrict v, const fft_z *restrict y, fd_vec *restrict t)
{
    fd_vec small[4 * (FFT_HAND / 2) + 2 * FFT_K];
    int h = r / 2;
    fd_vec *p = r <= FFT_HAND ? small : t, *d = p + h, *u = p + 2 * h, *s = u + h + FFT_K;
    for (ptrdiff_t i = 0; i < m; i++) {
        fd_vec a = v[i], x0 = a;
        FD_UNROLL
        for (int q = 1; q <= h; q++) {
            fft_z z = z_mul(y[i + m * (q - 1)], w + 2 * (h * i + q - 1));
            p[q - 1] = z.i;
            d[q - 1] = z.r;
            x0 += z.i;
        }
        fft_sums(r, 1, c, &a, p, d, u, s);
        v[i] = x0;
        FD_UNROLL
        for (int j = 1; j <= h; j++) {
            v[i + m * j]       = u[j - 1] - s[j - 1];
            v[i + m * (r - j)] = u[j - 1] + s[j - 1];
        }
    }
}

#ifdef FD_SMALL
#define FFT_ODD(f, r, m, w, c, v, y, t) f(r, m, w, c, v, y, t);
#else
#define FFT_ODD(f, r, m, w, c, v, y, t) \
    switch (r) { \
    case 3:  f(3, m, w, c, v, y, t); break; \
    case 5:  f(5, m, w, c, v, y, t); break; \
    case 7:  f(7, m, w, c, v, y, t); break; \
    case 11: f(11, m, w, c, v, y, t); break; \
    default: f(r, m, w, c, v, y, t); \
    }
#endif

/* Half spectrum of v[n] (room for n + 2); the result is in v or in y[room]. */
static fft_z *fft_real_run(const fft_real *p, fd_vec *v, fft_z *y)
{
    int n = p->n, h = n / 2;
    const fd_vec zero = { 0 };
    if (n % 2 == 0) {
        fft_z *z = fft_core_run(p->core, (fft_z *)v, y);
        fft_z e = z[0];
        z[0] = (fft_z){ e.r + e.i, zero };
        z[h] = (fft_z){ e.r - e.i, zero };
        for (int k = 1; 2 * k < h; k++) {
            fft_z a = z[k], b = z[h - k];
            fft_z o = z_mul((fft_z){ a.i + b.i, b.r - a.r }, p->w + 2 * k);   /* w_n^k O_k */
            fft_z f = { (a.r + b.r) * (fd_real)0.5, (a.i - b.i) * (fd_real)0.5 };
            z[k] = z_add(f, o);
            z[h - k] = (fft_z){ f.r - o.r, o.i - f.i };
        }
        if (h % 2 == 0) z[h / 2].i = -z[h / 2].i;
        return z;
    }
    if (p->core) {
        for (int j = 0; j < n; j++) y[j] = (fft_z){ v[j], zero };
        fft_z *z = fft_bluestein(p->core, n, h + 1, 0, y, y + n);
        z[0].i = zero;
        return z;
    }
    fft_z *s = y, *sub = s + h + 1, *t = sub + h;
    ptrdiff_t step = 1, len = n;
    for (int l = 0; l < p->levels; l++) {
        int r = p->r[l], conj;
        ptrdiff_t m = len / r;
        FFT_ODD(fft_real_split, r, m, p->wf[l], p->c[l], v, sub, (fd_vec *)t)
        for (int q = 1; 2 * q < r; q++) {
            const fft_z *z = fft_core_run(p->sub[l], sub + m * (q - 1), t);
            for (ptrdiff_t k = 0; k < m; k++) {
                fft_z *x = fft_real_at(s, step, len, q + r * k, &conj);
                *x = conj ? (fft_z){ z[k].r, -z[k].i } : z[k];
            }
        }
        step *= r;
        len = m;
    }
    s[0] = (fft_z){ v[0], zero };
    return s;
}

/* n real numbers from a half spectrum, which is destroyed; number j is [j ^ *swap] of the result.
 * The imaginary parts of X_0 and X_n/2 are not read. */
static fd_vec *fft_real_back(const fft_real *p, fft_z *s, fft_z *y, int *swap)
{
    int n = p->n, h = n / 2;
    const fd_vec zero = { 0 };
    *swap = n % 2 == 0;
    if (n % 2 == 0) {
        fd_vec a = s[0].r, b = s[h].r;
        s[0] = (fft_z){ a - b, a + b };
        for (int k = 1; 2 * k < h; k++) {                             /* Z = E + iO, exchanged */
            fft_z x = s[k], w = s[h - k], e = { x.r + w.r, x.i - w.i };
            fft_z d = { x.i + w.i, x.r - w.r };                      /* swap(X_k - conj X_h-k) */
            fft_z o = z_mul(d, p->w + 2 * k);                        /* = swap(O/2) */
            s[k]     = (fft_z){ e.i + (o.i + o.i), e.r - (o.r + o.r) };
            s[h - k] = (fft_z){ (o.i + o.i) - e.i, e.r + (o.r + o.r) };
        }
        if (h % 2 == 0) s[h / 2] = (fft_z){ s[h / 2].i * -2, s[h / 2].r * 2 };
        return (fd_vec *)fft_core_run(p->core, s, y);
    }
    if (p->core) {
        y[0] = (fft_z){ zero, s[0].r };                  /* x_j = Re(X_0 + 2 sum X_k w_n^-jk) */
        for (int k = 1; k <= h; k++) y[k] = (fft_z){ s[k].i + s[k].i, s[k].r + s[k].r };
        const fft_z *z = fft_bluestein(p->core, h + 1, n, 1, y, y + n);
        fd_vec *v = (fd_vec *)s;                                     /* n <= 2 (h + 1) */
        for (int j = 0; j < n; j++) v[j] = z[j].i;
        return v;
    }
    fd_vec *v = (fd_vec *)y;
    fft_z *sub = y + h + 1, *t = sub + h;
    ptrdiff_t step = n, len = 1;
    v[0] = s[0].r;
    for (int l = p->levels - 1; l >= 0; l--) {
        int r = p->r[l], conj;
        ptrdiff_t m = len;
        step /= r;
        len *= r;
        for (int q = 1; 2 * q < r; q++) {
            fft_z *x = sub + m * (q - 1);
            for (ptrdiff_t k = 0; k < m; k++) {
                const fft_z *z = fft_real_at(s, step, len, q + r * k, &conj);
                x[k] = (fft_z){ conj ? -z->i : z->i, z->r };
            }
            const fft_z *z = fft_core_run(p->sub[l], x, t);
            if (z != x) memcpy(x, z, (size_t)m * sizeof *x);
        }
        FFT_ODD(fft_real_join, r, m, p->wb[l], p->c[l], v, sub, (fd_vec *)t)
    }
    return v;
}

static const fft_real *fft_real_plan(fd_arena *a, int n)
{
    fft_real *p = fd_new(a, fft_real, 1);
    if (!p) return NULL;
    p->n = n;
    if (n % 2 == 0) {
        int h = n / 2;
        p->w = fft_roots(a, h / 2 + 1, 0, 1, n, 0.5);
        p->core = fft_core_plan(a, h, fft_bluestein_length(h, h, 1), h);
        if (!p->core) return NULL;
        p->room = p->core->room + 1;
        return p;
    }
    int m = fft_bluestein_length(n, n / 2 + 1, 0.5), f[FFT_MAXF], levels = fft_factors(n, f);
    if (m) {
        p->core = fft_core_plan(a, n, m, n / 2 + 1);
        p->room = p->core ? n + p->core->room : 0;
        return p->core ? p : NULL;
    }
    ptrdiff_t len = n, room = 0;
    for (int l = 0; l < levels; l++) {
        int r = f[l], h = r / 2;
        m = (int)(len / r);
        fd_real *wf = fd_raw(a, fd_real, 2 * (ptrdiff_t)h * m);
        fd_real *wb = fd_raw(a, fd_real, 2 * (ptrdiff_t)h * m);
        p->r[l] = r;
        p->c[l] = fft_sums_plan(a, r);
        p->sub[l] = fft_core_plan(a, m, fft_bluestein_length(m, m, 1), m);
        if (!p->sub[l]) return NULL;
        for (ptrdiff_t i = 0; i < m; i++)
            for (int q = 1; q <= h; q++) {
                fft_root_to(wf + 2 * (h * i + q - 1), i * q, len, 1);
                fft_root_to(wb + 2 * (h * i + q - 1), i * q, len, 2);
            }
        p->wf[l] = wf;
        p->wb[l] = wb;
        if (p->sub[l]->room > room) room = p->sub[l]->room;
        if (r + FFT_K > room) room = r + FFT_K;
        len = m;
    }
    p->levels = levels;
    p->room = n / 2 + 1 + n / 2 + room;
    return p;
}

/* ---- 7. Cosine and sine lines -------------------------------------------------------------------
 *
 * All by one real or complex transform [Makhoul; FFTW]; sines from cosines by
 * DST2(x)_k = DCT2((-1)^j x_j)_n-1-k, DST3(x)_k = (-1)^k DCT3(x_n-1-j)_k, and DST4 like DST3.
 *
 *   DCT1, DST1   N = n - 1 or n + 1 odd: real transform of the even or odd extension, of length
 *                2N. N even: of the sums and differences x_j +- x_N-j (DST1: j from 1) one makes
 *                the even results by the same transform for N/2, the other the odd ones by DCT3
 *                or DST3
 *   DCT2         t = x_0, x_2, .., x_3, x_1; y_k - i y_n-k = 2 w_4n^k R(t)_k
 *   DCT3         the way back: R(t)_k = conj(w_4n^k) (x_k - i x_n-k), and t is sorted out
 *   DCT4 even n  z_j = w_16n^(8j+1) (x_2j + i x_n-1-2j), y_2k - i y_n-1-2k = 2 w_16n^(8k+1) F(z)_k
 *   DCT4 odd n   y = 2 sum x_j cos(2 pi ab/8n), a = 2j+1, b = 2k+1. Up to its sign the cosine is
 *                the same for a, -a, a + 4n, 4n - a mod 8n, and just one of the four is 1 mod 8:
 *                so let a and b be 1 mod 8. With a = c, b = 8e mod n it is ab/8n = n/8 + ce/n mod
 *                1, and y = 2 Re(exp(i pi n/4) conj R(g)_e) a real transform of g_c = +-x_j. */

struct fd_fft {
    int kind, n;
    ptrdiff_t len;                        /* reals of a line: n or 2n */
    const fft_core *core;                 /* FD_C2C, even DCT4 */
    const fft_real *real;                 /* the others, but */
    const fd_fft *even, *odd;             /* DCT1, DST1 with even N */
    const fd_real *w;
    const fd_real *wl;                    /* section 9; NULL where that does not apply */
    const int *in, *out;                  /* odd DCT4: places, ~place where the sign is minus */
    ptrdiff_t room;                       /* vectors of scratch, the line included */
};

/* FD_R2C to and from a half spectrum */
enum { FFT_HALF = FD_DST4 + 1 };

/* vectors between a line and its scratch: 4 KB apart what was just written holds up what is read */
enum { FFT_GAP = FFT_FEW ? 16 : 0 };

/* scratch behind the line at v[1..len] */
FD_INLINE fd_vec *fft_behind(const fd_fft *p, fd_vec *v) { return v + 3 + p->len + FFT_GAP; }

/* The kinds of cosines, and with `sine` of sines: the line at v[1..len] in v[room]; the result is
 * at the pointer returned. */
static fd_vec *fft_dct2(const fd_fft *p, int sine, fd_vec *v)
{
    const int n = p->n, h = n / 2;
    fd_vec *d = v + 1, *t = fft_behind(p, v);
    for (int j = 0; j < n; j += 2) t[j / 2] = d[j];
    for (int j = 1; j < n; j += 2) t[n - 1 - j / 2] = sine ? -d[j] : d[j];
    const fft_z *s = fft_real_run(p->real, t, (fft_z *)t + h + 2);
    d[sine ? n - 1 : 0] = s[0].r + s[0].r;
    for (int k = 1; k <= h; k++) {
        fft_z y = z_mul(s[k], p->w + 2 * k);
        d[sine ? k - 1 : n - k] = -y.i;
        d[sine ? n - 1 - k : k] = y.r;
    }
    return d;
}

static fd_vec *fft_dct3(const fd_fft *p, int sine, fd_vec *v)
{
    const int n = p->n, h = n / 2;
    int swap;
    fd_vec *d = v + 1;
    fft_z *z = (fft_z *)fft_behind(p, v);
    z[0].r = d[sine ? n - 1 : 0];
    for (int k = 1; k <= h; k++) {
        fft_z x = { d[sine ? n - 1 - k : k], d[sine ? k - 1 : n - k] };
        x = z_mul(x, p->w + 2 * k);
        z[k] = (fft_z){ x.r, -x.i };
    }
    const fd_vec *t = fft_real_back(p->real, z, z + h + 2, &swap);
    for (int j = 0; j < n; j++) {
        fd_vec x = t[(j % 2 ? n - 1 - j / 2 : j / 2) ^ swap];
        d[j] = sine && j % 2 ? -x : x;
    }
    return d;
}

static fd_vec *fft_dct1(const fd_fft *p, int sine, fd_vec *v)
{
    const int n = p->n;
    fd_vec *d = v + 1, *t = fft_behind(p, v);
    if (p->odd) {
        fd_vec *u = t + p->odd->room;
        const int N = sine ? n + 1 : n - 1, m = N / 2, e = !sine;
        d -= sine;                                                   /* now d_j, j = 0..N */
        t[1] = sine ? d[m] + d[m] : d[0] - d[N];
        if (sine) t[m] = t[1];
        else { u[1] = d[0] + d[N]; u[m + 1] = d[m] + d[m]; }
        for (int j = 1; j < m; j++) {
            fd_vec a = d[j] + d[N - j], b = d[j] - d[N - j];
            t[j + e] = sine ? a : b;
            u[j + e] = sine ? b : a;
        }
        const fd_vec *y = fft_dct3(p->odd, sine, t);
        for (int k = 0; k < m; k++) d[2 * k + 1] = y[k];
        if (p->even) {
            y = fft_dct1(p->even, sine, u);
            for (int k = sine; k < m + e; k++) d[2 * k] = y[k - sine];
        }
        return d + sine;
    }
    if (sine) t[0] = t[n + 1] = (fd_vec){ 0 };
    for (int j = 0; j < n; j++) {
        t[j + sine] = d[j];
        if (sine) t[2 * n + 1 - j] = -d[j];
        else if (j && j < n - 1) t[2 * n - 2 - j] = d[j];
    }
    const fft_z *s = fft_real_run(p->real, t, (fft_z *)t + n + 3);
    for (int k = 0; k < n; k++) d[k] = sine ? -s[k + 1].i : s[k].r;
    return d;
}

static fd_vec *fft_dct4(const fd_fft *p, int sine, fd_vec *v)
{
    const int n = p->n, h = n / 2;
    fd_vec *d = v + 1, *t = fft_behind(p, v);
    fft_z *z = (fft_z *)t;
    if (n % 2 == 0) {
        for (int j = 0; j < h; j++) {
            fd_vec x = d[2 * j], y = d[n - 1 - 2 * j];
            z[j] = z_mul(sine ? (fft_z){ y, x } : (fft_z){ x, y }, p->w + 2 * j);
        }
        const fft_z *s = fft_core_run(p->core, z, z + h);
        for (int k = 0; k < h; k++) {
            fft_z y = z_mul(s[k], p->w + 2 * k);
            d[2 * k] = y.r + y.r;
            d[n - 1 - 2 * k] = sine ? y.i + y.i : -(y.i + y.i);
        }
        return d;
    }
    for (int c = 0; c < n; c++) t[c] = p->in[c] < 0 ? -d[~p->in[c]] : d[p->in[c]];
    const fft_z *s = fft_real_run(p->real, t, z + h + 2);
    for (int e = 0; e < n; e++) {
        fft_z x = s[2 * e > n ? n - e : e];
        const fd_real *w = p->w;
        fd_vec y = 2 * e > n ? x.r * w[0] - x.i * w[1] : x.r * w[0] + x.i * w[1];
        if (p->out[e] < 0) d[~p->out[e]] = -y;
        else d[p->out[e]] = y;
    }
    return d;
}

/* Transform the line at v[1..len] in v[room]; the result returned has number j at [j ^ *swap]. */
static fd_vec *fft_line(const fd_fft *p, int kind, int sign, fd_vec *v, int *swap)
{
    const int sine = kind >= FD_DST1;
    fft_z *s, *z = (fft_z *)fft_behind(p, v);
    *swap = 0;
    switch (kind) {
    case FD_C2C:
        *swap = sign > 0;
        return (fd_vec *)fft_core_run(p->core, (fft_z *)(v + 1), z);
    case FD_R2C:
    case FFT_HALF:
        if (sign > 0) {
            v[0] = v[1];
            return fft_real_back(p->real, (fft_z *)(kind == FFT_HALF ? v + 1 : v), z, swap);
        }
        s = fft_real_run(p->real, v + 1, z);
        if (kind == FFT_HALF) return (fd_vec *)s;
        s[0].i = s[0].r;
        return (fd_vec *)s + 1;
    case FD_DCT1: case FD_DST1: return fft_dct1(p, sine, v);
    case FD_DCT2: case FD_DST2: return fft_dct2(p, sine, v);
    case FD_DCT3: case FD_DST3: return fft_dct3(p, sine, v);
    default:                    return fft_dct4(p, sine, v);
    }
}

/* The one of a = 1 mod 8, c mod n, as place j with 2j + 1 = +-a mod 4n (mod 8n up to the sign). */
static int fft_dct4_place(int n, int c)
{
    int64_t a = c, m = n;
    while (a % 8 != 1) a += m;
    if (a > 4 * m) a = 8 * m - a;
    return a > 2 * m ? ~(int)((4 * m - a) / 2) : (int)(a / 2);
}

static int fft_dct4_plan(fd_arena *a, fd_fft *p, int sine)
{
    int n = p->n, *in = fd_raw(a, int, n), *out = fd_raw(a, int, n);
    fd_real *w = fft_roots(a, 1, n % 8, 0, 8, 2);              /* 2 cos(pi n/4), 2 sin(pi n/4) */
    if (!w) return 0;
    for (int c = 0; c < n; c++) {
        int i = fft_dct4_place(n, c), o = fft_dct4_place(n, (int)((int64_t)8 * c % n));
        int k = o < 0 ? ~o : o;
        if (sine) i = i < 0 ? ~(n - 1 - ~i) : n - 1 - i;
        in[c] = i;
        out[c] = sine && k & 1 ? ~o : o;
    }
    w[1] = -w[1];
    p->in = in;
    p->out = out;
    p->w = w;
    return 1;
}

/* ---- 8. Gather and scatter ----------------------------------------------------------------------
 *
 * Up to FD_W lines between memory and lanes. Line l begins at x + at[l]; its number q (of len
 * reals) is at distance (q / unit) step + q % unit from there, unit = 2 for complex numbers. Lanes
 * without a line repeat the first line and are not stored. */

typedef struct {
    fd_real *x;
    ptrdiff_t inner, dist, outer;         /* line l is at (l / inner) outer + (l % inner) dist */
    ptrdiff_t step, len;
    int unit;
} fft_lines;

#if FD_W == 16
#define FFT_ZIP0 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define FFT_ZIP1 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define FFT_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define FFT_ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif FD_BYTES == 64
#define FFT_ZIP0 0, 8, 1, 9, 2, 10, 3, 11
#define FFT_ZIP1 4, 12, 5, 13, 6, 14, 7, 15
#define FFT_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define FFT_ODDS 1, 3, 5, 7, 9, 11, 13, 15
#else
#define FFT_ZIP0 V_NEAR0
#define FFT_ZIP1 V_NEAR1
#ifdef FD_DOUBLE
#define FFT_EVEN V_NEAR0
#define FFT_ODDS V_NEAR1
#elif FD_BYTES == 32
#define FFT_EVEN 0, 2, 8, 10, 4, 6, 12, 14
#define FFT_ODDS 1, 3, 9, 11, 5, 7, 13, 15
#else
#define FFT_EVEN 0, 2, 4, 6
#define FFT_ODDS 1, 3, 5, 7
#endif
#endif
#if FD_W == 16
#define FFT_FLIP 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0
#elif FD_W == 8
#define FFT_FLIP 7, 6, 5, 4, 3, 2, 1, 0
#elif FD_W == 4
#define FFT_FLIP 3, 2, 1, 0
#else
#define FFT_FLIP 1, 0
#endif
#define FFT_PAIR(a, b, to_a, to_b)            \
    do {                                      \
        fd_vec u_ = *(a), v_ = *(b);          \
        *(a) = vmix(u_, v_, to_a);            \
        *(b) = vmix(u_, v_, to_b);            \
    } while (0)

/* a, b <- their numbers in turn: a0 b0 a1 b1 ..; and the way back. Vectors of 32 bytes are two
 * halves, and it is dear to cross: only V_HALF does, a, b <- their low halves, their high halves;
 * the others act in each half alone. */
FD_INLINE void fft_zip(fd_vec *a, fd_vec *b)
{
#if FD_BYTES
    FFT_PAIR(a, b, FFT_ZIP0, FFT_ZIP1);
#endif
#if FD_BYTES == 32
    FFT_PAIR(a, b, V_HALF0, V_HALF1);
#endif
    (void)a, (void)b;
}
FD_INLINE void fft_unzip(fd_vec *a, fd_vec *b)
{
#if FD_BYTES == 32
    FFT_PAIR(a, b, V_HALF0, V_HALF1);
#endif
#if FD_BYTES
    FFT_PAIR(a, b, FFT_EVEN, FFT_ODDS);
#endif
    (void)a, (void)b;
}

FD_INLINE fd_vec fft_flip(fd_vec a)
{
#if FD_BYTES
    a = vmix(a, a, FFT_FLIP);
#endif
    return a;
}

/* Complex lines side by side, the first at x, more of them than fill one vector. See fft_move. */
FD_INLINE void fft_move_pairs(const fft_lines *m, fd_real *x, int count, int out,
                              fd_vec *restrict v, int swap, fd_real scale)
{
    const int rest = 2 * count - FD_W;
    for (ptrdiff_t q = 0; q < m->len; q += 2, x += m->step) {
        fd_real *x1 = x + FD_W;
        if (out) {
            fd_vec a = v[q ^ swap] * scale, b = v[(q + 1) ^ swap] * scale;
            fft_zip(&a, &b);
            vstore(x, a);
            if (rest == FD_W) vstore(x1, b);
            else vstore_n(x1, b, rest);
        } else {
            fd_vec a = vload(x), b = rest == FD_W ? vload(x1) : vload_n(x1, rest);
            fft_unzip(&a, &b);
            v[q ^ swap] = a;
            v[(q + 1) ^ swap] = b;
        }
    }
}

/* Lines of contiguous numbers, FD_W or more each. See fft_move. */
FD_INLINE void fft_move_turned(const fft_lines *m, const ptrdiff_t at[FD_W], int count, int out,
                               fd_vec *restrict v, int swap, fd_real scale)
{
    for (ptrdiff_t q = 0; q < m->len; q += FD_W) {
        if (q > m->len - FD_W) q = m->len - FD_W;                    /* the last block overlaps */
        fd_vec a[FD_W];
        FD_UNROLL
        for (int l = 0; l < FD_W; l++)
            a[l] = out ? v[(q + l) ^ swap] * scale : vload(m->x + at[l] + q);
        vturn(a);
        FD_UNROLL
        for (int l = 0; l < FD_W; l++) {
            if (!out) v[(q + l) ^ swap] = a[l];
            else if (l < count) vstore(m->x + at[l] + q, a[l]);
        }
    }
}

/* out: 0 memory to v, number q at v[q ^ swap]; 1 from v times scale to memory */
static void fft_move(const fft_lines *m, ptrdiff_t first, int count, int out, fd_vec *restrict v,
                     int swap, fd_real scale)
{
    ptrdiff_t at[FD_W], len = m->len;
    int near = 1;
    for (int l = 0; l < FD_W; l++) {
        ptrdiff_t i = l < count ? first + l : first;
        at[l] = i / m->inner * m->outer + i % m->inner * m->dist;
        if (l < count && at[l] != at[0] + l * m->unit) near = 0;
    }
    if (near && m->unit == 1) {                                      /* lines side by side */
        for (ptrdiff_t q = 0; q < len; q++) {
            fd_real *x = m->x + at[0] + q * m->step;
            if (!out) v[q ^ swap] = count == FD_W ? vload(x) : vload_n(x, count);
            else if (count == FD_W) vstore(x, v[q ^ swap] * scale);
            else vstore_n(x, v[q ^ swap] * scale, count);
        }
    } else if (near && 2 * count > FD_W) {
        fft_move_pairs(m, m->x + at[0], count, out, v, swap, scale);
    } else if (m->step == m->unit && len >= FD_W) {
        fft_move_turned(m, at, count, out, v, swap, scale);
    } else {
        for (ptrdiff_t q = 0; q < len; q++) {
            fd_real lane[FD_W], *x = m->x + q / m->unit * m->step + q % m->unit;
            if (out) {
                fd_vec a = v[q ^ swap] * scale;
                memcpy(lane, &a, sizeof lane);
                for (int l = 0; l < count; l++) x[at[l]] = lane[l];
            } else {
                for (int l = 0; l < FD_W; l++) lane[l] = x[at[l]];
                memcpy(&v[q ^ swap], lane, sizeof lane);
            }
        }
    }
}

/* ---- 9. Long lines ------------------------------------------------------------------------------
 *
 * A line of contiguous numbers of length n = R m, R = FFT_FIRST, need not share the vectors with
 * others: the first pass, of radix R, is done for FD_W neighbours i at a time; what it leaves are
 * R transforms of length m, and a transposition gives one of them to each lane for the passes
 * that remain. Their results X_q+Rk, for q < R, are neighbours again. The operations on a number
 * are those of section 4, and so are its bits.
 *
 * Numbers are interleaved at x (exchanged where swap is set), or in two planes x and xi; y
 * likewise. w: factors of the first pass, [R-1][2][FD_W] for each block of i. s: scratch. */

static void fft_long(const fft_core *p, const fd_real *w, const fd_real *x, const fd_real *xi,
                     fd_real *y, fd_real *yi, int swap, fd_real scale, fft_z *s)
{
    enum { R = FFT_FIRST };
    ptrdiff_t m = p->n / R;
    for (ptrdiff_t i = 0; i < m; i += FD_W, w += 2 * (R - 1) * FD_W) {
        if (i > m - FD_W) i = m - FD_W;                              /* the last block overlaps */
        fft_z a[R];
        FD_UNROLL
        for (int j = 0; j < R; j++) {
            ptrdiff_t at = i + m * j;
            if (xi) a[j] = (fft_z){ vload(x + at), vload(xi + at) };
            else {
                fd_vec u = vload(x + 2 * at), v = vload(x + 2 * at + FD_W);
                fft_unzip(&u, &v);
                a[j] = swap ? (fft_z){ v, u } : (fft_z){ u, v };
            }
        }
        if (R == 8) fft_8(a);
        else fft_16(a);
        FD_UNROLL
        for (int q = 1; q < R; q++)
            a[q] = z_mulv(a[q], vload(w + (2 * q - 2) * FD_W), vload(w + (2 * q - 1) * FD_W));
        for (int g = 0; g < R / FD_W; g++) {
            fd_vec r[FD_W], c[FD_W];
            FD_UNROLL
            for (int l = 0; l < FD_W; l++) {
                r[l] = a[FD_W * g + l].r;
                c[l] = a[FD_W * g + l].i;
            }
            vturn(r);
            vturn(c);
            FD_UNROLL
            for (int l = 0; l < FD_W; l++) s[m * g + i + l] = (fft_z){ r[l], c[l] };
        }
    }
    for (int g = 0; g < R / FD_W; g++) {
        const fft_z *z = fft_passes(p, 1, m, s + m * g, s + m * (R / FD_W));
        for (ptrdiff_t k = 0; k < m; k++) {
            ptrdiff_t at = R * k + FD_W * g;
            fd_vec u = z[k].r * scale, v = z[k].i * scale;
            if (yi) { vstore(y + at, u); vstore(yi + at, v); continue; }
            if (swap) { fd_vec t = u; u = v; v = t; }
            fft_zip(&u, &v);
            vstore(y + 2 * at, u);
            vstore(y + 2 * at + FD_W, v);
        }
    }
}

/* FD_W interleaved numbers from place k on, the last one first where flip is set */
FD_INLINE fft_z fft_long_load(const fd_real *x, ptrdiff_t k, int flip)
{
    fd_vec u = vload(x + k), v = vload(x + k + FD_W);
    fft_unzip(&u, &v);
    return flip ? (fft_z){ fft_flip(u), fft_flip(v) } : (fft_z){ u, v };
}

/* Real lines x of even length, as in section 6, and their spectra u: half, or packed, where X_k is
 * one place before that of a half spectrum. */
static void fft_long_real(const fft_real *p, const fd_real *lw, int sign, fd_real *x, fd_real *u,
                          int half, fd_real scale, fd_real *t)
{
    ptrdiff_t h = p->n / 2, last = (h - 1) / 2, k, o = half ? 0 : 1;
    fd_real *zr = t, *zi = t + h, *u0 = u, *uh = u + 2 * h - o, *um = u + h - o;
    fft_z *s = (fft_z *)(t + 2 * h);
    if (sign < 0) {
        fft_long(p->core, lw, x, NULL, zr, zi, 0, 1, s);
        for (k = 1; k <= last; k += FD_W) {
            if (k > last - FD_W + 1) k = last - FD_W + 1;
            ptrdiff_t back = h - k - FD_W + 1;
            fft_z a = { vload(zr + k), vload(zi + k) }, w = fft_long_load(p->w, 2 * k, 0);
            fft_z b = { fft_flip(vload(zr + back)), fft_flip(vload(zi + back)) };
            fft_z d = z_mulv((fft_z){ a.i + b.i, b.r - a.r }, w.r, w.i);
            fft_z f = { (a.r + b.r) * (fd_real)0.5, (a.i - b.i) * (fd_real)0.5 };
            fd_vec r = (f.r + d.r) * scale, i = (f.i + d.i) * scale;
            fft_zip(&r, &i);
            vstore(u + 2 * k - o, r);
            vstore(u + 2 * k - o + FD_W, i);
            r = fft_flip((f.r - d.r) * scale);
            i = fft_flip((d.i - f.i) * scale);
            fft_zip(&r, &i);
            vstore(u + 2 * back - o, r);
            vstore(u + 2 * back - o + FD_W, i);
        }
        um[0] = zr[h / 2] * scale;
        um[1] = -zi[h / 2] * scale;
        *u0 = (zr[0] + zi[0]) * scale;
        *uh = (zr[0] - zi[0]) * scale;
    } else {
        for (k = 1; k <= last; k += FD_W) {
            if (k > last - FD_W + 1) k = last - FD_W + 1;
            ptrdiff_t back = h - k - FD_W + 1;
            fft_z a = fft_long_load(u, 2 * k - o, 0), b = fft_long_load(u, 2 * back - o, 1);
            fft_z w = fft_long_load(p->w, 2 * k, 0), e = { a.r + b.r, a.i - b.i };
            fft_z d = z_mulv((fft_z){ a.i + b.i, a.r - b.r }, w.r, w.i);
            vstore(zr + k, e.i + (d.i + d.i));
            vstore(zi + k, e.r - (d.r + d.r));
            vstore(zr + back, fft_flip((d.i + d.i) - e.i));
            vstore(zi + back, fft_flip(e.r + (d.r + d.r)));
        }
        zr[h / 2] = um[1] * -2;
        zi[h / 2] = um[0] * 2;
        zr[0] = *u0 - *uh;
        zi[0] = *u0 + *uh;
        fft_long(p->core, lw, zr, zi, x, NULL, 1, scale, s);
    }
}

static const fd_real *fft_long_plan(fd_arena *a, const fft_core *p)
{
    enum { ROW = 2 * (FFT_FIRST - 1) };
    ptrdiff_t m = p->n / FFT_FIRST;
    fd_real *w = fd_raw(a, fd_real, ROW * (m + FD_W)), *f = w;
    for (ptrdiff_t i = 0; w && i < m; i += FD_W, f += ROW * FD_W) {
        if (i > m - FD_W) i = m - FD_W;
        for (int q = 0; q < ROW; q++)
            for (int l = 0; l < FD_W; l++) f[q * FD_W + l] = p->w[0][ROW * (i + l) + q];
    }
    return w;
}

/* ---- 10. Plans and runs ---------------------------------------------------------------------- */

/* A plan of p->kind and p->n: what fft_line and section 9 want; 0 where memory is short. */
static int fft_plan_fill(fd_arena *a, fd_fft *p)
{
    const int kind = p->kind, n = p->n;
    p->len = kind == FD_C2C ? 2 * (ptrdiff_t)n : n;
    int four = kind == FD_DCT4 || kind == FD_DST4, three = kind == FD_DCT3 || kind == FD_DST3;
    int one = kind == FD_DCT1 || kind == FD_DST1, N = kind == FD_DCT1 ? n - 1 : n + 1;
    if (one && N % 2 == 0) {
        p->odd = fd_fft_plan(a, kind == FD_DCT1 ? FD_DCT3 : FD_DST3, N / 2);
        if (kind == FD_DCT1) p->even = fd_fft_plan(a, kind, N / 2 + 1);
        else if (N > 2)      p->even = fd_fft_plan(a, kind, N / 2 - 1);
        if (a->st->code) return 0;
        p->room = p->len + 4 + FFT_GAP + p->odd->room + (p->even ? p->even->room : 0);
        return 1;
    }
    if (kind == FD_C2C || (four && n % 2 == 0)) {
        int m = four ? n / 2 : n;
        p->core = fft_core_plan(a, m, fft_bluestein_length(m, m, 1), m);
        if (!p->core) return 0;
    } else {
        p->real = fft_real_plan(a, one ? 2 * N : n);
        if (!p->real) return 0;
    }
    if (four && n % 2) {
        if (!fft_dct4_plan(a, p, kind == FD_DST4)) return 0;
    } else if (four || three || kind == FD_DCT2 || kind == FD_DST2) {
        p->w = four ? fft_roots(a, n / 2 + 1, 1, 8, 16 * (int64_t)n, 1)
                    : fft_roots(a, n / 2 + 1, 0, 1, 4 * (int64_t)n, three ? 1 : 2);
        if (!p->w) return 0;
    }
    const fft_core *core = p->core ? p->core : p->real->core;
    if (FD_W > 1 && kind <= FD_R2C && core && !core->conv && core->n >= FFT_LONG
        && core->f[0] == FFT_FIRST) {
        p->wl = fft_long_plan(a, core);
        if (!p->wl) return 0;
    }
    p->room = p->len + 4 + FFT_GAP + (kind <= FD_R2C ? 0 : one ? 2 * (ptrdiff_t)n + 5 : n + 4)
            + 2 * (p->core ? p->core->room : p->real->room);
    return 1;
}

/* A line that stays in its place, by section 9 */
static void fft_alone(const fd_fft *p, int kind, int sign, fd_real scale, ptrdiff_t l,
                      const fft_lines *from, const fft_lines *to, fd_vec *v)
{
    fd_real *x = from->x + l / from->inner * from->outer + l % from->inner * from->dist;
    fd_real *y = to->x + l / to->inner * to->outer + l % to->inner * to->dist;
    if (kind == FD_C2C) fft_long(p->core, p->wl, x, NULL, y, NULL, sign > 0, scale, (fft_z *)v);
    else fft_long_real(p->real, p->wl, sign, sign < 0 ? x : y, sign < 0 ? y : x, kind == FFT_HALF,
                       scale, (fd_real *)v);
}

/* Blocks b..end-1 of lines, from one place to another. A block has FD_W lines of a group, the last
 * one of each group fewer. */
static void fft_share(const fd_fft *p, int kind, int sign, double scale, ptrdiff_t group, int alone,
                      const fft_lines *from, const fft_lines *to, fd_vec *v, ptrdiff_t b,
                      ptrdiff_t end)
{
    int swap = kind == FD_C2C && sign > 0, back;
    for (; FD_W > 1 && alone && b < end; b++)
        fft_alone(p, kind, sign, (fd_real)scale, b, from, to, v);
    for (ptrdiff_t per = (group + FD_W - 1) / FD_W; b < end; b++) {
        ptrdiff_t at = b % per * FD_W, l = b / per * group + at, left = group - at;
        int count = left < FD_W ? (int)left : FD_W;
        fft_move(from, l, count, 0, v + 1, swap, 1);
        fd_vec *y = fft_line(p, kind, sign, v, &back);
        fft_move(to, l, count, 1, y, back, (fd_real)scale);
    }
}

/* How lines are cut up: `blocks` of up to FD_W of them out of each `group`, or where they stay in
 * their place, `alone`, each by itself; and on how many threads, each with p->room vectors. */
typedef struct { int alone; ptrdiff_t group, blocks, threads; } fft_cut;

static fft_cut fft_cut_up(const fd_fft *p, ptrdiff_t lines, const fft_lines *from, int most)
{
    fft_cut c = { p->wl && from->step == from->unit, from->inner < FD_W ? lines : from->inner, 0,
                  most };
    c.blocks = c.alone ? lines : (c.group + FD_W - 1) / FD_W * (lines / c.group);
    if (c.threads > c.blocks) c.threads = c.blocks;
    if ((double)lines * (double)p->len < 32768) c.threads = 1;
    return c;
}

static void fft_lines_run(const fd_fft *p, int kind, int sign, double scale, ptrdiff_t lines,
                          const fft_lines *from, const fft_lines *to, fd_arena scratch)
{
    const fft_cut c = fft_cut_up(p, lines, from, threads_most());
    fd_vec *v = fd_raw(&scratch, fd_vec, c.threads * p->room);
    if (!v) return;
    if (c.threads == 1) {
        fft_share(p, kind, sign, scale, c.group, c.alone, from, to, v, 0, c.blocks);
        return;
    }
    FD_PARALLEL
    for (ptrdiff_t t = 0; t < c.threads; t++)             /* scratch goes with t, not a thread */
        fft_share(p, kind, sign, scale, c.group, c.alone, from, to, v + t * p->room,
                  c.blocks * t / c.threads, c.blocks * (t + 1) / c.threads);
}

/* lines whose elements are so many elements apart */
static fft_lines fft_lines_of(const fd_fft *p, ptrdiff_t lines, ptrdiff_t dist, ptrdiff_t stride,
                              fd_real *x)
{
    int unit = p->kind == FD_C2C ? 2 : 1;
    return (fft_lines){ x, lines, dist * unit, 0, stride * unit, p->len, unit };
}

size_t fd_fft_room(const fd_fft *p, ptrdiff_t lines, ptrdiff_t stride, int threads)
{
    const fft_lines m = fft_lines_of(p, lines, 1, stride, NULL);
    return (size_t)(fft_cut_up(p, lines, &m, threads).threads * p->room) * sizeof(fd_vec)
         + 2 * FD_REDZONE;
}

void fd_fft_run(const fd_fft *p, int sign, double scale, ptrdiff_t lines, ptrdiff_t dist,
                ptrdiff_t stride, fd_real *x, fd_arena scratch)
{
    if (!p || lines < 1) return;
    const fft_lines m = fft_lines_of(p, lines, dist, stride, x);
    fft_lines_run(p, p->kind, sign, scale, lines, &m, &m, scratch);
}

/* ---- 11. Grids ----------------------------------------------------------------------------------
 *
 * Real lines along the last axis, complex lines along the others; the scale comes last. Small
 * functions go through all axes at once, FD_W of them in the lanes of vectors, which asks for one
 * transposition each way. Of the others some at a time are done axis by axis, so that they are
 * still in the cache when the next axis comes. A line is computed in the same way in both. */

enum { FFT_NEAR = 1100 << 10 };            /* bytes that a core holds near itself */

typedef struct {
    int nd, n[FD_MAXD], sign;
    const fd_fft *plan[FD_MAXD];
    ptrdiff_t reals, cplx, len, half;     /* of one function; reals of a line along the last axis */
    double scale;
    fd_real *x, *u;                   /* functions and half spectra: sign -1 from x to u, +1 back */
} fft_grid;

/* the complex lines along an axis */
static fft_lines fft_grid_lines(const fft_grid *g, int axis, fd_real *u)
{
    ptrdiff_t inner = g->half / 2, n = g->n[axis];
    for (int j = axis + 1; j < g->nd - 1; j++) inner *= g->n[j];
    return (fft_lines){ u, inner, 2, 2 * inner * n, 2 * inner, 2 * n, 2 };
}

/* w = u or, where u is not to be changed, scratch; complex lines along an axis of b functions */
static void fft_grid_axis(const fft_grid *g, int axis, int b, fd_real *u, fd_real *w, double scale,
                          fd_arena scratch)
{
    const fft_lines from = fft_grid_lines(g, axis, u), to = fft_grid_lines(g, axis, w);
    ptrdiff_t n = g->n[axis];
    fft_lines_run(g->plan[axis], FD_C2C, g->sign, scale, b * (g->cplx / n), &from, &to, scratch);
}

/* b functions, axis by axis; w [b][cplx] may be u */
static void fft_grid_axes(const fft_grid *g, int b, fd_real *x, fd_real *u, fd_real *w,
                          fd_arena scratch)
{
    ptrdiff_t lines = b * (g->reals / g->len);
    fft_lines real = { x, lines, g->len, 0, 1, g->len, 1 };
    fft_lines spec = { w, lines, g->half, 0, 1, g->half, 1 };
    const int last = g->nd - 1;
    if (g->sign < 0) {
        fft_lines_run(g->plan[last], FFT_HALF, -1, last ? 1 : g->scale, lines, &real, &spec,
                      scratch);
        for (int j = last - 1; j >= 0; j--)
            fft_grid_axis(g, j, b, w, w, j ? 1 : g->scale, scratch);
    } else {
        for (int j = 0; j < last; j++) fft_grid_axis(g, j, b, j ? w : u, w, 1, scratch);
        fft_lines_run(g->plan[last], FFT_HALF, 1, g->scale, lines, &spec, &real, scratch);
    }
}

/* numbers from..to of `count` functions dist apart are wanted soon, to be read or written */
FD_INLINE void fft_soon(const fd_real *x, ptrdiff_t dist, int count, int write,
                        ptrdiff_t from, ptrdiff_t to)
{
    enum { LINE = 64 / sizeof(fd_real) };
    for (int i = 0; i < count; i++)
        for (ptrdiff_t q = from; q < to; q += LINE)
            if (write) vfetch(x + i * dist + q, 1, 2);
            else       vfetch(x + i * dist + q, 0, 2);
}

/* FD_W functions or fewer from number f on, one in each lane; `next` functions come after them.
 * s [cplx]: the half spectra in lanes. Spectra are read and written in many short pieces, which
 * memory is slow to begin with: it is asked for them while the columns are transformed. */
static void fft_grid_lanes(const fft_grid *g, ptrdiff_t f, int count, int next, fft_z *s, fd_vec *v)
{
    const int last = g->nd - 1, fwd = g->sign < 0;
    const ptrdiff_t size = 2 * g->cplx;
    fft_lines spec = { g->u + size * f, count, size, 0, 1, size, 1 };
    fft_lines rows = { g->x + g->reals * f, count, g->reals, 0, 1, g->len, 1 };
    fft_z *d = (fft_z *)(v + 1);
    int swap;
    if (!fwd) fft_move(&spec, 0, count, 0, (fd_vec *)s, 0, 1);
    else for (fft_z *row = s; row < s + g->cplx; row += g->half / 2, rows.x += g->len) {
        fft_move(&rows, 0, count, 0, (fd_vec *)row, 0, 1);
        const fft_z *y = fft_real_run(g->plan[last]->real, (fd_vec *)row, d);
        if (y != row) memcpy(row, y, (size_t)(g->half / 2) * sizeof *y);
    }
    for (int i = 0; i < last; i++) {
        int axis = fwd ? last - 1 - i : i, n = g->n[axis];
        ptrdiff_t inner = g->half / 2, lines = g->cplx / n;
        for (int j = axis + 1; j < last; j++) inner *= g->n[j];
        for (ptrdiff_t l = 0; l < lines; l++) {
            fft_z *line = s + l / inner * inner * n + l % inner;
            ptrdiff_t from = size * l / lines, to = size * (l + 1) / lines;
            if (i == 0 && fwd) fft_soon(spec.x, size, count, 1, from, to);
            if (i == 0 && !fwd) fft_soon(spec.x + size * count, size, next, 0, from, to);
            fft_core_apart(g->plan[axis]->core, line, inner, !fwd, d);
        }
    }
    if (fwd) fft_move(&spec, 0, count, 1, (fd_vec *)s, 0, (fd_real)g->scale);
    else for (fft_z *row = s; row < s + g->cplx; row += g->half / 2, rows.x += g->len) {
        fd_vec *y = fft_real_back(g->plan[last]->real, row, d, &swap);
        fft_move(&rows, 0, count, 1, y, swap, (fd_real)g->scale);
    }
}

/* blocks b..end-1 of FD_W functions, of which there are `count` */
static void fft_grid_share(const fft_grid *g, int count, fd_vec *v, ptrdiff_t b, ptrdiff_t end)
{
    for (; b < end; b++) {
        ptrdiff_t f = b * FD_W, left = count - f;
        int some = left < FD_W ? (int)left : FD_W, rest = (int)left - some;
        int next = b + 1 == end ? 0 : rest < FD_W ? rest : FD_W;
        fft_grid_lanes(g, f, some, next, (fft_z *)v, v + 2 * g->cplx);
    }
}

/* vectors of scratch that b functions want, axis by axis */
static ptrdiff_t fft_grid_room(const fft_grid *g, int b)
{
    ptrdiff_t most = 0;
    for (int i = 0; i < g->nd; i++) {
        const int last = i == g->nd - 1;
        const ptrdiff_t lines = last ? b * (g->reals / g->len) : b * (g->cplx / g->n[i]);
        const fft_lines real = { NULL, lines, g->len, 0, 1, g->len, 1 };
        const fft_lines from = last ? real : fft_grid_lines(g, i, NULL);
        const fft_cut c = fft_cut_up(g->plan[i], lines, &from, threads_most());
        const ptrdiff_t own = c.threads * g->plan[i]->room;
        if (own > most) most = own;
    }
    return most;
}

static void fft_grid_run(const char *where, int nd, const int n[], int b, int sign, double scale,
                         fd_real *x, fd_cplx *u, fd_arena scratch)
{
    fft_grid g = { .nd = nd, .sign = sign, .scale = scale, .reals = 1, .cplx = 1, .x = x,
                   .u = (fd_real *)u };
    ptrdiff_t room = 0;
    int near = nd > 1;
    if (fft_grid_refuses(where, nd, scratch.st)) return;
    for (int i = 0; i < nd; i++) {
        int last = i == nd - 1;
        for (int j = 0; j < i && !last; j++) if (n[j] == n[i]) g.plan[i] = g.plan[j];
        if (!g.plan[i]) g.plan[i] = fd_fft_plan(&scratch, last ? FD_R2C : FD_C2C, n[i]);
        if (!g.plan[i]) return;
        if (g.plan[i]->room > room) room = g.plan[i]->room;
        if (g.plan[i]->wl) near = 0;
        g.n[i] = n[i];
        g.reals *= n[i];
        g.cplx *= last ? n[i] / 2 + 1 : n[i];
    }
    g.len = n[nd - 1];
    g.half = 2 * (g.len / 2 + 1);

    if (2 * g.cplx * (ptrdiff_t)sizeof(fd_vec) > FFT_NEAR) near = 0;
    int rest = b % FD_W;                             /* wide: how many go in lanes */
    int wide = !near ? 0 : 2 * rest > FD_W ? b : b - rest;
    double many = 65536.0 * threads_most() / (double)g.cplx;           /* functions at a time */
    int some = many < 1 ? 1 : many > b - wide ? b - wide : (int)many;
    /* all memory is asked for before the first number is written; the room is used twice, first for
     * the functions in lanes, then for the rest */
    const ptrdiff_t half = sign > 0 && nd > 1 && wide < b ? 2 * some * g.cplx : 0;
    ptrdiff_t blocks = (wide + FD_W - 1) / FD_W, threads = threads_most();
    if (threads > blocks) threads = blocks;
    fd_real *w = NULL;
    fd_arena tmp = scratch;
    if (half) fd_raw(&tmp, fd_real, half);
    if (wide < b) fd_raw(&tmp, fd_vec, fft_grid_room(&g, some));
    tmp = scratch;
    fd_vec *v = fd_raw(&tmp, fd_vec, threads * (room + 2 * g.cplx));
    if (scratch.st->code) return;
    if (wide) {
        room += 2 * g.cplx;
        if (threads == 1) fft_grid_share(&g, wide, v, 0, blocks);
        else {
            FD_PARALLEL
            for (ptrdiff_t t = 0; t < threads; t++)
                fft_grid_share(&g, wide, v + t * room, blocks * t / threads,
                               blocks * (t + 1) / threads);
        }
    }
    if (half) w = fd_raw(&scratch, fd_real, half);
    for (int i = wide; i < b; i += some) {
        fd_real *ui = g.u + 2 * g.cplx * i;
        fft_grid_axes(&g, b - i < some ? b - i : some, x + g.reals * i, ui, w ? w : ui, scratch);
    }
}

#endif /* FD_PLAIN */

/* ---- 12. Public functions -------------------------------------------------------------------- */

fd_fft *fd_fft_plan(fd_arena *a, int kind, int n)
{
    fd_fft *p = fd_new(a, fd_fft, 1);
    if (!p || fft_plan_refuses(a, kind, n)) return NULL;
    p->kind = kind;
    p->n = n;
    return fft_plan_fill(a, p) ? p : NULL;
}

void fd_rfftn(int nd, const int n[], int b, double scale, const fd_real *x, fd_cplx *u,
              fd_arena scratch)
{
    fft_grid_run("fd_rfftn", nd, n, b, -1, scale, (fd_real *)x, u, scratch);
}

void fd_irfftn(int nd, const int n[], int b, double scale, const fd_cplx *u, fd_real *x,
               fd_arena scratch)
{
    fft_grid_run("fd_irfftn", nd, n, b, 1, scale, x, (fd_cplx *)u, scratch);
}
