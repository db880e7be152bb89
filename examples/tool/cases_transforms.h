/* cases_transforms.h -- cases of fd vectors: transforms. Answers are the library's; where a plain
 * sum is short, it must agree, and faults are made from it. */
#ifndef CASES_TRANSFORMS_H
#define CASES_TRANSFORMS_H
#include "vectors.h"

#define TURN 6.283185307179586476925

/* ---- Transforms ------------------------------------------------------------------------------ */

static const char *const real_name[] = { "dct1", "dct2", "dct3", "dct4", "dst1", "dst2", "dst3",
                                        "dst4" };

/* real_weight -- of x_j in y_k, as section 4 of fd.h has it; kind from FD_DCT1. */
static inline double real_weight(int kind, int n, int j, int k)
{
    const double pi = TURN / 2;
    double last = k % 2 ? -1 : 1;
    switch (kind) {
    case FD_DCT1: return !j ? 1 : j == n - 1 ? last : 2 * cos(pi * j * k / (n - 1));
    case FD_DCT2: return 2 * cos(pi * (j + .5) * k / n);
    case FD_DCT3: return j ? 2 * cos(pi * j * (k + .5) / n) : 1;
    case FD_DCT4: return 2 * cos(pi * (j + .5) * (k + .5) / n);
    case FD_DST1: return 2 * sin(pi * (j + 1) * (k + 1) / (n + 1));
    case FD_DST2: return 2 * sin(pi * (j + .5) * (k + 1) / n);
    case FD_DST3: return j == n - 1 ? last : 2 * sin(pi * (j + 1) * (k + .5) / n);
    default: return 2 * sin(pi * (j + .5) * (k + .5) / n);
    }
}

/* real_ortho -- the same of the orthonormal transform: ends that count once have a root of 2. */
static inline double real_ortho(int kind, int n, int j, int k)
{
    double sum = 0, own = 0;
    for (int i = 0; i < n; i++) {
        int end = (kind == FD_DCT1 && (!i || i == n - 1)) || (kind == FD_DCT3 && !i)
               || (kind == FD_DST3 && i == n - 1);
        double w = real_weight(kind, n, i, k) * (end ? sqrt(2) : 1);
        sum += w * w;
        if (i == j) own = w;
    }
    return own / sqrt(sum);
}

static inline void transform_real(casebook *q, int kind, int n)
{
    case_begin(q, VALID, "", n % 2 ? "OddGrid" : "", "%s of %d numbers, unnormalised",
               real_name[kind - FD_DCT1], n);
    const fd_real *x = normals(q, n);
    fd_real *y = fd_raw(&q->mem, fd_real, n);
    double *z = doubles(q, n), *o = doubles(q, n), *half = doubles(q, n), *back = doubles(q, n);
    fd_fft *plan = fd_fft_plan(&q->mem, kind, n);
    need(q->mem.st);
    memcpy(y, x, (size_t)n * sizeof *y);
    fd_fft_run(plan, 1, 1, 1, n, 1, y, q->mem);
    for (int k = 0; k < n; k++) {
        for (int j = 0; j < n; j++) {
            z[k] += real_weight(kind, n, j, k) * (double)x[j];
            o[k] += real_ortho(kind, n, j, k) * (double)x[j];
        }
        half[k] = z[k] / 2;
    }
    for (int k = 0; k < n; k++) back[k] = z[n - 1 - k];
    agree(q, n, y, z);
    param_text(q, "transform", real_name[kind - FD_DCT1]);
    put_in(q, "x", 1, &n, x);
    put_out(q, "y", 1, &n, y);
    fault(q, "ortho", "y", o);
    fault(q, "half", "y", half);
    fault(q, "upside-down", "y", back);
    case_end(q);
}

/* plain_dft -- y_k = scale sum x_j exp(sign 2 pi i jk/n). */
static inline void plain_dft(int n, int sign, double scale, const fd_real *x, double *y)
{
    for (int k = 0; k < n; k++) {
        double re = 0, im = 0;
        for (int j = 0; j < n; j++) {
            double c = cos(TURN * j * k / n), s = sign * sin(TURN * j * k / n);
            double u = (double)x[2 * j], v = (double)x[2 * j + 1];
            re += c * u - s * v, im += c * v + s * u;
        }
        y[2 * k] = scale * re, y[2 * k + 1] = scale * im;
    }
}

static inline void transform_complex(casebook *q, int n, int sign, int scaled)
{
    case_begin(q, VALID, "", n % 2 ? "OddGrid Normalisation" : "Normalisation",
               "%s DFT of %d complex numbers, %s", sign < 0 ? "forward" : "backward", n,
               scaled ? "times 1/n" : "without a factor");
    const int dims[2] = { n, 2 };
    double scale = scaled ? 1.0 / n : 1, *z = doubles(q, 2 * n);
    const fd_real *x = normals(q, 2 * n);
    fd_real *y = fd_raw(&q->mem, fd_real, 2 * n);
    fd_fft *plan = fd_fft_plan(&q->mem, FD_C2C, n);
    need(q->mem.st);
    memcpy(y, x, (size_t)(2 * n) * sizeof *y);
    fd_fft_run(plan, sign, scale, 1, n, 1, y, q->mem);
    plain_dft(n, sign, scale, x, z);
    agree(q, 2 * n, y, z);
    param_text(q, "transform", "dft");
    param(q, "sign", sign);
    param(q, "scale", scale);
    put_in(q, "x", 2, dims, x);
    put_out(q, "y", 2, dims, y);
    plain_dft(n, -sign, scale, x, z);
    fault(q, "conjugate", "y", z);
    plain_dft(n, sign, scaled ? 1 : 1.0 / n, x, z);
    fault(q, scaled ? "no-scale" : "scaled", "y", z);
    plain_dft(n, sign, sqrt(1.0 / n), x, z);
    fault(q, "ortho", "y", z);
    case_end(q);
}

/* plain_rfft2 -- the half spectrum of n0 x n1 numbers (n0 = 1: of a line). */
static inline void plain_rfft2(int n0, int n1, int sign, double scale, const fd_real *x, double *y)
{
    int h = n1 / 2 + 1;
    for (int k = 0; k < n0 * h; k++) {
        double re = 0, im = 0;
        for (int j = 0; j < n0 * n1; j++) {
            double w = sign * TURN * ((double)(k / h) * (j / n1) / n0
                                      + (double)(k % h) * (j % n1) / n1);
            re += cos(w) * (double)x[j], im += sin(w) * (double)x[j];
        }
        y[2 * k] = scale * re, y[2 * k + 1] = scale * im;
    }
}

static inline void transform_half(casebook *q, int n0, int n1)
{
    int nd = n0 > 1 ? 2 : 1, n[2] = { n0, n1 }, h = n1 / 2 + 1, dims[3] = { n0, h, 2 };
    case_begin(q, VALID, "", (n0 * n1) % 2 ? "OddGrid" : "Nyquist",
               "half spectrum of %d x %d real numbers (numpy's rfftn)", n0, n1);
    const fd_real *x = normals(q, n0 * n1);
    fd_cplx *y = fd_raw(&q->mem, fd_cplx, n0 * h);
    double *z = doubles(q, 2 * n0 * h);
    need(q->mem.st);
    fd_rfftn(nd, n + 2 - nd, 1, 1, x, y, q->mem);
    plain_rfft2(n0, n1, -1, 1, x, z);
    agree(q, 2 * n0 * h, &y->re, z);
    param_text(q, "transform", "rfft");
    put_in(q, "x", nd, n + 2 - nd, x);
    put_out(q, "y", nd + 1, dims + 2 - nd, &y->re);
    plain_rfft2(n0, n1, 1, 1, x, z);
    fault(q, "conjugate", "y", z);
    plain_rfft2(n0, n1, -1, 1.0 / (n0 * n1), x, z);
    fault(q, "scaled", "y", z);
    plain_rfft2(n0, n1, -1, sqrt(1.0 / (n0 * n1)), x, z);
    fault(q, "ortho", "y", z);
    case_end(q);
}

/* transform_back -- the inverse of a half spectrum; free: one that no real grid has, whose plane
 * k = 0 is not Hermitian. */
static inline void transform_back(casebook *q, int n0, int n1, int free)
{
    int nd = n0 > 1 ? 2 : 1, n[2] = { n0, n1 }, h = n1 / 2 + 1, dims[3] = { n0, h, 2 };
    ptrdiff_t size = n0 * n1;
    case_begin(q, free ? ACCEPTABLE : VALID, "", n1 % 2 ? "OddGrid" : "Nyquist",
               "inverse of a half spectrum to %d x %d numbers%s", n0, n1, free
               ? "; the spectrum is of no real grid: numpy drops what is imaginary at the end"
               : "");
    const fd_real *x = normals(q, free ? 2 * n0 * h : size);
    fd_cplx *u = fd_raw(&q->mem, fd_cplx, n0 * h);
    fd_real *y = fd_raw(&q->mem, fd_real, size), *z = fd_raw(&q->mem, fd_real, size);
    double *v = doubles(q, size);
    need(q->mem.st);
    if (free) memcpy(u, x, (size_t)(n0 * h) * sizeof *u);
    else fd_rfftn(nd, n + 2 - nd, 1, 1, x, u, q->mem);
    fd_irfftn(nd, n + 2 - nd, 1, 1.0 / (double)size, u, y, q->mem);
    param_text(q, "transform", "irfft");
    param_list(q, "n", nd, n + 2 - nd);
    put_in(q, "x", nd + 1, dims + 2 - nd, &u->re);
    put_out(q, "y", nd, n + 2 - nd, y);
    for (ptrdiff_t i = 0; i < size; i++) v[i] = (double)size * (double)y[i];
    fault(q, "no-scale", "y", v);
    for (ptrdiff_t i = 0; i < size; i++) v[i] = sqrt((double)size) * (double)y[i];
    fault(q, "ortho", "y", v);
    fd_cplx *w = fd_raw(&q->mem, fd_cplx, n0 * h);
    need(q->mem.st);
    memcpy(w, u, (size_t)(n0 * h) * sizeof *w);
    for (int k = 1; free && k < n0; k++)               /* from the rows 0 < k < n0/2 */
        for (int c = 0; c < h; c += n1 / 2)
            if (2 * k > n0) w[k * h + c] = (fd_cplx){ u[(n0 - k) * h + c].re,
                                                     -u[(n0 - k) * h + c].im };
    fd_irfftn(nd, n + 2 - nd, 1, 1.0 / (double)size, w, z, q->mem);
    if (free) put_other(q, 1, "from-upper", "y", z);
    case_end(q);
}

/* transform_modes -- <x, e_k> on a grid, in L2 of [0, 1]^d. */
static inline void transform_modes(casebook *q, int nd, const int n[], int bc)
{
    fd_space s = fd_grid(&q->a, nd, n, NULL, (int[]){ bc, bc, bc }, 1);
    case_begin(q, VALID, "", n[0] % 2 ? "OddGrid Normalisation" : "Nyquist Normalisation",
               "coefficients on the orthonormal eigenfunctions of the Laplacian, %s ends",
               t_boundary.rows[bc].name);
    int modes = (int)s.modes;
    const fd_real *x = normals(q, s.points);
    fd_real *u = fd_raw(&q->mem, fd_real, s.modes);
    double *z = doubles(q, s.modes);
    need(q->mem.st);
    fd_to_modes(&s, 1, x, u, q->mem);
    param_text(q, "transform", "modes");
    param_text(q, "boundary", t_boundary.rows[bc].name);
    put_in(q, "x", nd, n, x);
    put_out(q, "u", 1, &modes, u);
    for (int k = 0; k < modes; k++) z[k] = (double)u[k] / sqrt(s.h);
    fault(q, "pixel-units", "u", z);
    for (int k = 0; k < modes; k++) z[k] = (double)u[k] / s.h;
    fault(q, "no-quadrature", "u", z);
    for (int k = 0; k < modes && nd == 1 && bc == FD_NEUMANN; k++) {
        z[k] = 0;
        for (int j = 0; j < n[0]; j++)
            z[k] += s.h * (double)x[j] * (k ? sqrt(2) : 1) * cos(TURN / 2 * k * j / (n[0] - 1));
    }
    if (nd == 1 && bc == FD_NEUMANN) fault(q, "nodes", "u", z);
    case_end(q);
}

static inline void group_transforms(casebook *q)
{
    if (!group_begin(q, "transforms", "DFT and half spectra, cosine and sine transforms, "
                     "coefficients"))
        return;
    for (int n = 8; n < 10; n++)
        for (int e = 0; e < 4; e++) transform_complex(q, n, e % 2 ? 1 : -1, e / 2);
    for (int kind = FD_DCT1; kind <= FD_DST4; kind++) transform_real(q, kind, 7);
    transform_real(q, FD_DCT2, 8);
    transform_half(q, 1, 8), transform_half(q, 1, 9);
    transform_half(q, 5, 6), transform_half(q, 6, 5);
    transform_back(q, 1, 8, 0), transform_back(q, 1, 9, 0), transform_back(q, 6, 5, 0);
    transform_back(q, 6, 8, 1);
    for (int bc = FD_PERIODIC; bc <= FD_MIXED; bc++) transform_modes(q, 1, (int[]){ 8 }, bc);
    transform_modes(q, 1, (int[]){ 9 }, FD_PERIODIC);
    transform_modes(q, 2, (int[]){ 4, 5 }, FD_PERIODIC);
    case_begin(q, INVALID, "", "", "dct1 of one number: n - 1 = 0 is divided by");
    fd_real *x = normals(q, 1);
    param_text(q, "transform", "dct1");
    put_in(q, "x", 1, (int[]){ 1 }, x);
    put_out(q, "y", 1, (int[]){ 1 }, x);
    case_end(q);
    group_end(q);
}
#endif
