/* cases_metrics.h -- cases of fd vectors: distances of sets of functions, scores, spectra. */
#ifndef CASES_METRICS_H
#define CASES_METRICS_H
#include "vectors.h"

/* ---- Metrics --------------------------------------------------------------------------------- */

enum { SET_M = 5, SET_N = 7 };
enum { MET_ENERGY, MET_MMD, METS };

/* pair_term -- of two functions: the distance, or the kernel, h weighing a point. */
static inline double pair_term(int what, int n, double h, double bw, const fd_real *x,
                               const fd_real *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += h * pow((double)x[i] - (double)y[i], 2);
    return what == MET_ENERGY ? -sqrt(sum) : exp(-sum / (2 * bw * bw));
}

/* plain_pairs -- E k(x, x') + E k(y, y') - cross E k(x, y); self: with x = x'. */
static inline double plain_pairs(int what, int n, double h, double bw, double cross, int self,
                                 const fd_real *x, const fd_real *y)
{
    double xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < SET_M; i++)
        for (int j = 0; j < SET_M; j++)
            if (self || i != j)
                xx += pair_term(what, n, h, bw, x + i * n, x + j * n)
                    / (SET_M * (SET_M - (self ? 0 : 1)));
    for (int i = 0; i < SET_N; i++)
        for (int j = 0; j < SET_N; j++)
            if (self || i != j)
                yy += pair_term(what, n, h, bw, y + i * n, y + j * n)
                    / (SET_N * (SET_N - (self ? 0 : 1)));
    for (int i = 0; i < SET_M; i++)
        for (int j = 0; j < SET_N; j++) xy += pair_term(what, n, h, bw, x + i * n, y
                                                        + j * n) / (SET_M * SET_N);
    return xx + yy - cross * xy;
}

/* sets_begin -- two sets of functions on n points of [0, 1], of which the second lies elsewhere. */
static inline fd_space sets_begin(casebook *q, int n, const char *want, fd_real **x, fd_real **y)
{
    fd_space s = fd_grid(&q->mem, 1, &n, NULL, NULL, 1);
    *x = normals(q, SET_M * n);
    put_in(q, "x", 2, (int[]){ SET_M, n }, *x);
    *y = normals(q, SET_N * n);
    for (int i = 0; i < SET_N * n; i++) (*y)[i] = (*y)[i] * (fd_real)1.5 + (fd_real).5;
    put_in(q, "y", 2, (int[]){ SET_N, n }, *y);
    param_text(q, "metric", want);
    return s;
}

static inline void pairs_case(casebook *q, int what, int n)
{
    const int one = 1;
    const double bw = .8;
    fd_real *x, *y;
    case_begin(q, ACCEPTABLE, "", n % 2 ? "OddGrid Estimator" : "Estimator",
               "%s of two sets, norms in L2; unbiased, or with "
               "the pairs of a sample with itself", what == MET_ENERGY ? "energy distance"
               : "squared MMD, Gaussian kernel");
    q->tol *= 5;
    fd_space s = sets_begin(q, n, what == MET_ENERGY ? "energy" : "mmd2", &x, &y);
    if (what == MET_MMD) param(q, "bw", bw);
    double d = what == MET_ENERGY ? fd_energy_distance(&s, SET_M, x, SET_N, y)
                                  : fd_mmd2(&s, SET_M, x, SET_N, y, bw, q->mem);
    double plain = plain_pairs(what, n, 1.0 / n, bw, 2, 0, x, y), v;
    need(q->mem.st);
    put_out_d(q, "d", 1, &one, &d);
    agree(q, 1, q->out[0].x, &plain);
    v = plain_pairs(what, n, 1.0 / n, bw, 2, 1, x, y);
    put_other(q, 1, "with-self", "d", reals(q, 1, &v));
    v = plain_pairs(what, n, 1, bw, 2, 0, x, y);
    fault(q, "pixel-norm", "d", &v);
    v = plain_pairs(what, n, 1.0 / n, bw, 1, 0, x, y);
    fault(q, "half-cross", "d", &v);
    v = sqrt(fmax(0, d));
    fault(q, "root", "d", &v);
    case_end(q);
}

/* set_moments -- mean and variance of each mode of b functions, over b - less. */
static inline void set_moments(const fd_space *s, int b, const fd_real *x, int less, double *mean,
                               double *var,
                               fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, b * s->modes);
    fd_to_modes(s, b, x, u, a);
    need(a.st);
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        mean[k] = var[k] = 0;
        for (int i = 0; i < b; i++) mean[k] += (double)u[i * s->modes + k] / b;
        for (int i = 0; i < b; i++)
            var[k] += pow((double)u[i * s->modes + k] - mean[k], 2) / (b - less);
    }
}

/* modes_distance -- sum (mean difference)^2, if any, + (deviation difference)^2. */
static inline double modes_distance(const fd_space *s, const fd_real *x, const fd_real *y, int less,
                                    int means, fd_arena a)
{
    double *m[4], sum = 0;
    for (int i = 0; i < 4; i++) m[i] = fd_raw(&a, double, s->modes);
    need(a.st);
    set_moments(s, SET_M, x, less, m[0], m[1], a);
    set_moments(s, SET_N, y, less, m[2], m[3], a);
    for (ptrdiff_t k = 0; k < s->modes; k++)
        sum += (means ? pow(m[0][k] - m[2][k], 2) : 0) + pow(sqrt(m[1][k]) - sqrt(m[3][k]), 2);
    return sum;
}

/* square_faults -- what is made of a squared distance d on n points; apart: without the means. */
static inline void square_faults(casebook *q, int n, double d, double apart)
{
    const double pixels = d * n, root = sqrt(d);
    fault(q, "no-means", "d", &apart);
    fault(q, "pixel-norm", "d", &pixels);
    fault(q, "root", "d", &root);
}

static inline void modes_case(casebook *q, int n)
{
    const int one = 1;
    fd_real *x, *y;
    case_begin(q, ACCEPTABLE, "", n % 2 ? "OddGrid Estimator" : "Nyquist Estimator",
               "squared W2 of two sets as Gaussians that "
               "are diagonal in the modes; variances over n - 1, or over n");
    q->tol *= 5;
    fd_space s = sets_begin(q, n, "w2_modes", &x, &y);
    double d = fd_w2_modes(&s, SET_M, x, SET_N, y, q->mem);
    double fair = modes_distance(&s, x, y, 1, 1, q->mem);
    double biased = modes_distance(&s, x, y, 0, 1, q->mem);
    need(q->mem.st);
    put_out_d(q, "d", 1, &one, &fair);
    agree(q, 1, reals(q, 1, &d), &fair);
    put_other(q, 1, "biased", "d", reals(q, 1, &biased));
    square_faults(q, n, fair, modes_distance(&s, x, y, 1, 0, q->mem));
    case_end(q);
}

static inline void frechet_case(casebook *q, int n)
{
    const int one = 1;
    fd_real *x, *y;
    case_begin(q, VALID, "", "Estimator", "Frechet distance |mean difference|^2 + Tr(Sx + Sy - 2 "
               "(Sx Sy)^1/2) in L2; "
               "covariances over n - 1");
    q->tol *= 50;
    fd_space s = sets_begin(q, n, "frechet", &x, &y);
    double mean = 0, d = fd_frechet(&s, n, SET_M, x, SET_N, y, q->mem);
    need(q->mem.st);
    for (int i = 0; i < n; i++) {
        double a = 0, b = 0;
        for (int j = 0; j < SET_M; j++) a += (double)x[j * n + i] / SET_M;
        for (int j = 0; j < SET_N; j++) b += (double)y[j * n + i] / SET_N;
        mean += (a - b) * (a - b) / n;
    }
    put_out_d(q, "d", 1, &one, &d);
    square_faults(q, n, d, fmax(0, d - mean));
    case_end(q);
}

static inline void crps_case(casebook *q, int n)
{
    const int one = 1;
    fd_real *x, *y;
    case_begin(q, ACCEPTABLE, "", "Estimator", "CRPS of the ensemble x against the function y_0, "
               "mean over points: E|X - y| - "
               "E|X - X'|/2; the second over m^2, or (fair) m(m - 1)");
    fd_space s = sets_begin(q, n, "crps", &x, &y);
    double d = fd_crps(&s, SET_M, x, y, q->mem), near = 0, spread = 0, v;
    for (int p = 0; p < n; p++)
        for (int i = 0; i < SET_M; i++) {
            near += fabs((double)x[i * n + p] - (double)y[p]) / (SET_M * n);
            for (int j = 0; j < SET_M; j++)
                spread += fabs((double)x[i * n + p] - (double)x[j * n
                                                                + p]) / (2.0 * SET_M * SET_M * n);
        }
    v = near - spread;
    need(q->mem.st);
    put_out_d(q, "d", 1, &one, &d);
    agree(q, 1, q->out[0].x, &v);
    v = near - spread * SET_M / (SET_M - 1);
    put_other(q, 1, "fair", "d", reals(q, 1, &v));
    fault(q, "no-spread", "d", &near);
    case_end(q);
}

static inline void spectrum_case(casebook *q, int n)
{
    const int bins = n / 2 + 1;
    fd_real *x, *y;
    case_begin(q, VALID, "", n % 2 ? "OddGrid Normalisation" : "Nyquist Normalisation",
               "mean over functions of the sum of "
               "u_k^2, by wave number; u_k on orthonormal modes, so that the sum is the mean of "
               "|x|^2");
    fd_space s = sets_begin(q, n, "spectrum", &x, &y);
    double *e = doubles(q, bins), *z = doubles(q, bins), *sum = doubles(q, bins);
    fd_spectrum(&s, SET_M, x, bins, e, q->mem);
    need(q->mem.st);
    for (int k = 0; k < bins; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < SET_M; i++) {
            double a = 0, b = 0;
            for (int p = 0; p < n; p++) {
                a += cos(2 * acos(-1) * k * p / n) * (double)x[i * n + p] / n;
                b -= sin(2 * acos(-1) * k * p / n) * (double)x[i * n + p] / n;
            }
            z[k] += (a * a + b * b) * (k && 2 * k != n ? 2 : 1) / SET_M;
            re += a / SET_M, im += b / SET_M;
        }
        sum[k] = re * re + im * im;
    }
    put_out_d(q, "e", 1, &bins, e);
    agree(q, bins, q->out[0].x, z);
    fault(q, "complex-sum", "e", sum);
    for (int k = 0; k < bins; k++) z[k] = e[k] * n * n;
    fault(q, "raw-transform", "e", z);
    for (int k = 0; k < bins; k++) z[k] = sqrt(e[k]);
    fault(q, "root", "e", z);
    for (int k = 0; k < bins; k++) z[k] = e[k] / (k && 2 * k != n ? 2 : 1);
    fault(q, "no-mirror", "e", z);
    case_end(q);
}

static inline void group_metrics(casebook *q)
{
    if (!group_begin(q, "metrics", "distances of two sets of functions, scores, spectra")) return;
    for (int n = 8; n < 10; n++) {
        pairs_case(q, MET_ENERGY, n), pairs_case(q, MET_MMD, n);
        modes_case(q, n), crps_case(q, n), spectrum_case(q, n);
    }
    frechet_case(q, 5);
    group_end(q);
}
#endif
