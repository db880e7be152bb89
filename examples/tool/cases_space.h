/* cases_space.h -- cases of fd vectors: transforms, random fields, spectral convolutions. Answers
 * are the library's; where a plain sum is short, it must agree, and faults are made from it. */
#ifndef CASES_SPACE_H
#define CASES_SPACE_H
#include "vectors.h"

#define TURN 6.283185307179586476925

/* ---- Transforms ------------------------------------------------------------------------------ */

static const char *const real_name[] = { "dct1", "dct2", "dct3", "dct4", "dst1", "dst2", "dst3", "dst4" };

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
            double w = sign * TURN * ((double)(k / h) * (j / n1) / n0 + (double)(k % h) * (j % n1) / n1);
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

/* transform_back -- the inverse of a half spectrum; free: one that no real grid has, whose plane k = 0
 * is not Hermitian. */
static inline void transform_back(casebook *q, int n0, int n1, int free)
{
    int nd = n0 > 1 ? 2 : 1, n[2] = { n0, n1 }, h = n1 / 2 + 1, dims[3] = { n0, h, 2 };
    ptrdiff_t size = n0 * n1;
    case_begin(q, free ? ACCEPTABLE : VALID, "", n1 % 2 ? "OddGrid" : "Nyquist",
               "inverse of a half spectrum to %d x %d numbers%s", n0, n1, free
               ? "; the spectrum is of no real grid: numpy drops what is imaginary at the end" : "");
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
            if (2 * k > n0) w[k * h + c] = (fd_cplx){ u[(n0 - k) * h + c].re, -u[(n0 - k) * h + c].im };
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
    if (!group_begin(q, "transforms", "DFT and half spectra, cosine and sine transforms, coefficients"))
        return;
    for (int n = 8; n < 10; n++)
        for (int e = 0; e < 4; e++) transform_complex(q, n, e % 2 ? 1 : -1, e / 2);
    for (int kind = FD_DCT1; kind <= FD_DST4; kind++) transform_real(q, kind, 7);
    transform_real(q, FD_DCT2, 8);
    transform_half(q, 1, 8), transform_half(q, 1, 9), transform_half(q, 5, 6), transform_half(q, 6, 5);
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

/* ---- Random fields --------------------------------------------------------------------------- */

/* field -- a covariance by a word, its parameters, what it would be by a fault. */
enum { FIELD_MATERN, FIELD_RBF, FIELD_POWER };
typedef struct { int kind, nd, n[2], bc; double var, l, nu; } field;
static const char *const field_name[] = { "matern", "rbf", "power" };

/* field_rule -- the eigenvalue where -Laplacian is mu; nu, l as given or by a fault. */
static inline double field_rule(const field *f, double mu, const char *id)
{
    double half = strcmp(id, "no-half-d") ? .5 * f->nd : 0, nu = f->nu, l = f->l, w = mu;
    int kind = f->kind;
    if (!strcmp(id, "no-2pi")) w = mu / (f->bc == FD_PERIODIC ? TURN * TURN : TURN * TURN / 4);
    if (!strcmp(id, "no-two-in-kernel")) l /= sqrt(2);
    if (!strcmp(id, "unsquared")) kind = FIELD_MATERN, nu = .5, l = 2 * l * l;
    if (kind == FIELD_RBF) return f->var * pow(TURN * l * l, .5 * f->nd) * exp(-l * l * w / 2);
    if (kind == FIELD_POWER) return f->var * pow(w + l * l, -nu);
    double c = 2 * nu / (l * l);
    return f->var * pow(2 * TURN, .5 * f->nd) * tgamma(nu + half) / tgamma(nu) * pow(c, nu)
         * pow(c + w, -nu - half);
}

/* field_lam -- the eigenvalues by a fault, "" for none. */
static inline void field_lam(const field *f, const fd_space *s, const char *id, double *lam)
{
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        int j[3], nyquist = fd_mode(s, k, j);
        double mu;
        fd_wave(s, k, &mu);
        lam[k] = nyquist && strcmp(id, "nyquist-kept") ? 0 : field_rule(f, mu, id);
        if (!strcmp(id, "ortho-law")) lam[k] *= (double)s->points;
        if (!strcmp(id, "deviation")) lam[k] = sqrt(lam[k]);
        if (!strcmp(id, "variance")) lam[k] *= lam[k];
        if (!strcmp(id, "no-grid-factor")) lam[k] /= (double)s->points;
    }
}

static inline fd_cov *field_cov(fd_arena *a, const field *f, const fd_space *s)
{
    return f->kind == FIELD_MATERN ? fd_cov_matern(a, s, f->var, f->l, f->nu)
         : f->kind == FIELD_RBF ? fd_cov_rbf(a, s, f->var, f->l)
                                : fd_cov_power(a, s, f->var, f->l, f->nu);
}

static inline void field_params(casebook *q, const field *f, const char *want)
{
    param_text(q, "want", want);
    param_text(q, "field", field_name[f->kind]);
    param_list(q, "n", f->nd, f->n);
    param_text(q, "boundary", t_boundary.rows[f->bc].name);
    param(q, f->kind == FIELD_POWER ? "s" : "var", f->var);
    param(q, f->kind == FIELD_POWER ? "tau" : "l", f->l);
    if (f->kind != FIELD_RBF) param(q, f->kind == FIELD_POWER ? "alpha" : "nu", f->nu);
}

static const char *const field_faults[] = { "ortho-law", "no-2pi", "no-half-d", "deviation", "variance",
                                            "unsquared", "no-two-in-kernel", "nyquist-kept",
                                            "no-grid-factor" };

/* field_case -- want: the eigenvalues, white noise coloured by them, or functions of the law. */
static inline void field_case(casebook *q, const field *f, const char *want)
{
    enum { COUNT_OF = 4000 };
    fd_space s = fd_grid(&q->a, f->nd, f->n, NULL, (int[]){ f->bc, f->bc }, 1);
    int modes = (int)s.modes, law = !strcmp(want, "functions"), colour = !strcmp(want, "colour");
    case_begin(q, VALID, f->kind == FIELD_POWER ? "[FNO sec. 5.3]" : "", f->n[0] % 2 ? "OddGrid Law"
               : "Nyquist Law", "%s of a field %s, %s ends", colour ? "white noise coloured" : law
               ? "functions" : "eigenvalues", field_name[f->kind], t_boundary.rows[f->bc].name);
    fd_cov *c = field_cov(&q->mem, f, &s);
    double *lam = doubles(q, s.modes), *z = doubles(q, s.modes);
    need(q->mem.st);
    field_params(q, f, want);
    for (int k = 0; k < modes; k++) lam[k] = c->lam[k];
    if (law) {
        param(q, "count", COUNT_OF);
        q->law = 1;
    }
    if (!colour) {
        put_out_d(q, "lam", 1, &modes, lam);
        field_lam(f, &s, "", z);
        agree(q, modes, q->out[0].x, z);
    }
    fd_real *x = colour ? normals(q, s.points) : NULL, *y = colour ? fd_raw(&q->mem, fd_real, s.points) : NULL;
    if (colour) {
        fd_cov_pow(c, .5, 1, x, y, q->mem);
        put_in(q, "z", f->nd, f->n, x);
        put_out(q, "x", f->nd, f->n, y);
    }
    need(q->mem.st);
    for (int i = 0; i < COUNT(field_faults); i++) {
        int known = f->kind == FIELD_MATERN ? i != 5 && i != 6 : f->kind == FIELD_RBF ? i != 2
                                                                                      : i < 2 || i == 3 || i == 4 || i > 6;
        if (!known) continue;
        field_lam(f, &s, field_faults[i], z);
        if (!colour) {
            fault(q, field_faults[i], "lam", z);
            continue;
        }
        fd_arena before = q->mem;
        fd_cov *d = fd_cov_table(&q->mem, &s, z);
        fd_real *w = fd_raw(&q->mem, fd_real, s.points);
        fd_cov_pow(d, .5, 1, x, w, q->mem);
        need(q->mem.st);
        put_other(q, 0, field_faults[i], "x", w);
        (void)before;
    }
    case_end(q);
}

/* plain_philox -- Philox4x32 with so many rounds, as halves of words, low ones first. */
static inline void plain_philox(int rounds, const uint32_t word[2], const uint32_t counter[4], double y[8])
{
    uint32_t k0 = word[0], k1 = word[1], c[4];
    memcpy(c, counter, sizeof c);
    for (int i = 0; i < rounds; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                                   (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a };
        memcpy(c, next, sizeof c);
    }
    for (int j = 0; j < 8; j++) y[j] = c[j / 2] >> 16 * (j % 2) & 0xffff;
}

/* field_words -- Philox4x32-10: words as halves of 16 bits, low ones first. */
static inline void field_words(casebook *q, int i)
{
    uint32_t word[2], counter[4], out[4];
    double y[8], z[8];
    case_begin(q, VALID, "[Random123 code, include/Random123/philox.h]", "Bits",
               "Philox4x32-10; y: each word's low and high half, exactly");
    q->tol = 0;
    for (int j = 0; j < 2; j++) word[j] = i ? 0x243f6a88u * (uint32_t)(i + j) + (uint32_t)q->seed : 0;
    for (int j = 0; j < 4; j++) counter[j] = i ? 0x85a308d3u * (uint32_t)(i + 3 * j) : 0;
    say(&q->params, "\"want\": \"philox\", \"key\": [%" PRIu32 ", %" PRIu32 "], \"counter\": [%" PRIu32
        ", %" PRIu32 ", %" PRIu32 ", %" PRIu32 "]", word[0], word[1], counter[0], counter[1], counter[2], counter[3]);
    fd_philox(word, counter, out);
    for (int j = 0; j < 8; j++) y[j] = out[j / 2] >> 16 * (j % 2) & 0xffff;
    put_out_d(q, "y", 1, (int[]){ 8 }, y);
    plain_philox(10, word, counter, z);
    agree(q, 8, q->out[0].x, z);
    plain_philox(7, word, counter, z);
    fault(q, "seven-rounds", "y", z);
    plain_philox(10, (uint32_t[]){ word[1], word[0] }, counter, z);
    fault(q, "words-swapped", "y", z);
    case_end(q);
}

static inline void group_fields(casebook *q)
{
    static const field f[] = {
        { FIELD_MATERN, 1, { 8, 1 }, FD_PERIODIC, 2, .2, 1.5 },
        { FIELD_MATERN, 1, { 9, 1 }, FD_NEUMANN, 1, .3, .5 },
        { FIELD_MATERN, 2, { 6, 5 }, FD_PERIODIC, 1.5, .2, 1 },
        { FIELD_RBF, 1, { 16, 1 }, FD_PERIODIC, 1.3, .15, 0 },
        { FIELD_RBF, 2, { 5, 6 }, FD_DIRICHLET, 1.7, .2, 0 },
        { FIELD_POWER, 2, { 7, 6 }, FD_PERIODIC, 300, 7, 2.5 } };
    if (!group_begin(q, "fields", "Gaussian random fields: eigenvalues, noise coloured by them, laws, bits"))
        return;
    for (int i = 0; i < COUNT(f); i++) field_case(q, &f[i], "eigenvalues"), field_case(q, &f[i], "colour");
    field_case(q, &f[0], "functions"), field_case(q, &f[3], "functions");
    for (int i = 0; i < 3; i++) field_words(q, i);
    group_end(q);
}
#endif
