/* laws.h -- fd judge: are somebody's functions draws of a law that is known exactly?
 *
 * Functions of the law are made into independent standard normal numbers: their coefficients less
 * the mean over the deviation; of a posterior along the eigenvectors of its covariance; of a
 * mixture for the component that a draw from the exact odds p(component | function) names, which
 * keeps them normal. Statistics of these numbers have laws that are known, and so p-values. */
#ifndef LAWS_H
#define LAWS_H
#include "posterior.h"

/* ---- Tails ----------------------------------------------------------------------------------- */

/* chi_tails -- of the chi-square law of n degrees at x: below into [0], above into [1]. These are
 * the incomplete gamma functions of a = n/2 at y = x/2: a series where y < a + 1, else a continued
 * fraction. */
static inline void chi_tails(double x, double n, double p[2])
{
    double a = n / 2, y = x / 2, lead, sum, term;
    p[0] = 0, p[1] = 1;
    if (!(x > 0)) return;
    if (n > 2e4) {                                 /* near enough there */
        double z = chi2_normal(x, n);
        p[0] = erfc(-z / sqrt(2)) / 2, p[1] = erfc(z / sqrt(2)) / 2;
        return;
    }
    lead = exp(a * log(y) - y - lgamma(a));
    if (y < a + 1) {
        sum = term = 1 / a;
        for (int i = 1; i < 100000 && term > 1e-17 * sum; i++) sum += term *= y / (a + i);
        p[0] = fmin(1, lead * sum), p[1] = 1 - p[0];
        return;
    }
    double b = y + 1 - a, c = 1e300, d = 1 / b, h = d;    /* a continued fraction, by Lentz */
    for (int i = 1; i < 100000; i++) {
        double an = -i * (i - a), step;
        b += 2;
        d = 1 / (an * d + b), c = b + an / c;
        h *= step = c * d;
        if (fabs(step - 1) < 1e-16) break;
    }
    p[1] = fmin(1, lead * h), p[0] = 1 - p[1];
}
static inline double chi_both(double x, double n)
{
    double p[2];
    chi_tails(x, n, p);
    return fmin(1, 2 * fmin(p[0], p[1]));
}
static inline double normal_both(double z) { return erfc(fabs(z) / sqrt(2)); }

/* uniform_p -- of n numbers that should be uniform on [0, 1], by Kolmogorov's distance D: the tail
 * 2 sum (-1)^(j-1) exp(-2 j^2 l^2) at l = (sqrt(n) + .12 + .11/sqrt(n)) D (Stephens). */
static inline double uniform_p(ptrdiff_t n, double *u)
{
    double most = 0, sum = 0, root = sqrt((double)n);
    qsort(u, (size_t)n, sizeof *u, by_value);
    for (ptrdiff_t i = 0; i < n; i++)
        most = fmax(most, fmax(u[i] - (double)i / (double)n, (double)(i + 1) / (double)n - u[i]));
    double l = (root + .12 + .11 / root) * most;
    if (l < .3) return 1;
    for (int j = 1; j < 100; j++) sum += (j % 2 ? 2 : -2) * exp(-2.0 * j * j * l * l);
    return fmin(1, fmax(0, sum));
}

/* ---- Statistics of numbers that should be standard normal ------------------------------------ */

enum { DOUBTS = 40 };
typedef struct { char what[64]; double p, seen, meant; } doubt;
typedef struct { int n; doubt at[DOUBTS]; } doubts;

static inline void doubt_add(doubts *r, double p, double seen, double meant, const char *fmt, ...)
{
    va_list ap;
    if (r->n == DOUBTS) return;
    doubt *d = &r->at[r->n++];
    *d = (doubt){ "", p >= 0 ? p : 0, seen, meant };
    va_start(ap, fmt);
    vsnprintf(d->what, sizeof d->what, fmt, ap);
    va_end(ap);
}

static inline const doubt *doubt_worst(const doubts *r)
{
    const doubt *d = r->at;
    for (int i = 1; i < r->n; i++) if (r->at[i].p < d->p) d = &r->at[i];
    return d;
}

/* band_of -- shells 0 to 8 one by one, then half octaves. */
enum { BANDS = 24 };
static inline int band_of(double wave)
{
    int b = wave < 8.5 ? (int)floor(wave + .5) : 9 + (int)floor(2 * log2(wave / 8.5));
    return b < BANDS ? b : BANDS - 1;
}
static inline double band_from(int b) { return b < 9 ? b : 8.5 * pow(2, .5 * (b - 9)); }

/* judge_normal -- n functions of d numbers z each. band of each of the d: of waves, or with
 * `eighths` of directions. */
static inline void judge_normal(doubts *r, int n, ptrdiff_t d, const double *z, const int *band,
                                int eighths, fd_arena a)
{
    double *u = fd_raw(&a, double, n * d), *size = fd_new(&a, double, n);
    double *sum = fd_new(&a, double, d);
    double part[BANDS] = { 0 }, degrees[BANDS] = { 0 }, means = 0, pairs = 0, next = 0, p[2];
    need(a.st);
    for (ptrdiff_t i = 0; i < n * d; i++) {
        double v = z[i];
        part[band[i % d]] += v * v, degrees[band[i % d]]++;
        sum[i % d] += v;
        size[i / d] += v * v;
        u[i] = erfc(-v / sqrt(2)) / 2;
        if (i >= d) next += v * z[i - d];
    }
    for (ptrdiff_t k = 0; k < d; k++) means += sum[k] * sum[k] / n;
    doubt_add(r, chi_both(means, (double)d), means / (double)d, 1, "mean");
    for (int b = 0; b < BANDS; b++)
        if (degrees[b] > 0)
            doubt_add(r, chi_both(part[b], degrees[b]), part[b] / degrees[b], 1, eighths
                      ? "variance of directions, part %.0f of 8" : b < 9 ? "variance of waves %.0f"
                      : "variance of waves from %.3g", eighths ? b + 1 : band_from(b));
    doubt_add(r, uniform_p(n * d, u), NAN, NAN, "marginal law of the numbers");
    for (int i = 0; i < n; i++) {
        chi_tails(size[i], (double)d, p);
        size[i] = p[0];
    }
    doubt_add(r, uniform_p(n, size), NAN, NAN, "energy of a function");
    for (ptrdiff_t k = 0; k + 1 < d; k++) {
        double s = 0;
        for (int i = 0; i < n; i++) s += z[i * d + k] * z[i * d + k + 1];
        pairs += s * s / n;
    }
    if (d > 1 && n >= 32)
        doubt_add(r, chi_both(pairs, (double)(d - 1)), pairs / (double)(d - 1), 1,
                  "correlation of neighbouring modes");
    if (n > 1)
        doubt_add(r, normal_both(next / sqrt((double)((n - 1) * d))), next / (double)((n - 1) * d),
                  0,
                  "correlation of one function with the next");
}

/* ---- Laws made into normal numbers ----------------------------------------------------------- */

/* whiten -- the coefficients u [n][ch][modes] less those of the mean over the deviation: z [n][d],
 * where the law has variance; what lies elsewhere is a doubt of its own. Returns d. */
static inline ptrdiff_t whiten(doubts *r, const fd_space *s, int n, const double *u,
                               const double *lam, const double *mean, double *z, int *band)
{
    const ptrdiff_t size = s->ch * s->modes;
    double most = 0, total = 0, off[2] = { 0 }, least = sizeof(fd_real) == 4 ? 1e-9 : 1e-14;
    ptrdiff_t d = 0, at = 0, silent[2] = { 0 };
    int j[3];
    for (ptrdiff_t k = 0; k < s->modes; k++) most = fmax(most, lam[k]);
    for (ptrdiff_t k = 0; k < size; k++) {
        if (lam[k % s->modes] > least * most) band[d++] = band_of(fd_wave(s, k % s->modes, NULL));
        else silent[fd_mode(s, k % s->modes, j)]++;
    }
    for (ptrdiff_t i = 0; i < n * size; i++) {
        ptrdiff_t k = i % size;
        double v = u[i] - (mean ? mean[k] : 0);
        total += v * v;
        if (lam[k % s->modes] > least * most) z[at++] = v / sqrt(lam[k % s->modes]);
        else off[fd_mode(s, k % s->modes, j)] += v * v;
    }
    /* rounding: eight digits of each value, in each of the modes */
    double room = (sizeof(fd_real) == 4 ? 1e-8 : 1e-16) * (double)size + 4 * least * (double)size;
    for (int i = 0; i < 2 && r; i++)
        if (silent[i])
            doubt_add(r, off[i] <= room * total ? 1 : 0, total > 0 ? off[i] / total : 0, 0, i
                      ? "part of |x|^2 in Nyquist modes: it has none"
                      : "part of |x|^2 where the law has none");
    return d;
}

/* in_modes -- coefficients of b functions, in double. */
static inline double *in_modes(fd_arena *a, const fd_space *s, int b, const fd_real *x)
{
    ptrdiff_t count = b * s->ch * s->modes;
    double *u = fd_raw(a, double, count);
    fd_arena scratch = *a;
    fd_real *c = fd_raw(&scratch, fd_real, count);
    need(a->st);
    fd_to_modes(s, b, x, c, scratch);
    need(a->st);
    for (ptrdiff_t i = 0; i < count; i++) u[i] = (double)c[i];
    return u;
}

/* law_judge -- of functions x [n][points] the worst p-value, times how many there are, against the
 * Gaussian law of mean 0 with these eigenvalues. */
static inline doubt law_judge(const fd_space *s, int n, const fd_real *x, const fd_real *lam,
                              fd_arena a)
{
    doubts r = { .n = 0 };
    double *u = in_modes(&a, s, n, x), *z = fd_raw(&a, double, n * s->modes);
    double *l = fd_raw(&a, double, s->modes);
    int *band = fd_raw(&a, int, s->modes);
    need(a.st);
    for (ptrdiff_t k = 0; k < s->modes; k++) l[k] = (double)lam[k];
    judge_normal(&r, n, whiten(&r, s, n, u, l, NULL, z, band), z, band, 0, a);
    doubt d = *doubt_worst(&r);
    d.p = fmin(1, d.p * r.n);
    return d;
}

/* components -- of which of k means each function is a draw, by a draw from the exact odds; and
 * whether each comes as often as it should. The coefficients become those less the mean. A mode
 * without variance gets that least part of the largest by which whiten tells them: where the means
 * differ there, it alone says which one it is, and rounding does not. */
static inline void components(doubts *r, const fd_space *s, int n, double *u, const double *lam,
                              int k, const double *means, fd_rng rng, fd_arena a)
{
    const ptrdiff_t size = s->ch * s->modes;
    double *log_p = fd_raw(&a, double, k), *often = fd_new(&a, double, k), chi = 0, most = 0;
    double least = sizeof(fd_real) == 4 ? 1e-9 : 1e-14, tails[2];
    fd_real *chance = fd_raw(&a, fd_real, n);
    need(a.st);
    fd_uniform(rng, n, chance);
    for (ptrdiff_t l = 0; l < s->modes; l++) most = fmax(most, lam[l]);
    if (!(most > 0)) die(1, "--cov: the law has no variance on this grid");
    for (int i = 0; i < n; i++) {
        double top = -INFINITY, sum = 0, part = 0;
        int j = 0;
        for (int c = 0; c < k; c++) {
            log_p[c] = 0;
            for (ptrdiff_t l = 0; l < size; l++)
                log_p[c] -= pow(u[i * size + l] - means[c * size + l], 2)
                          / (2 * fmax(lam[l % s->modes], least * most));
            top = fmax(top, log_p[c]);
        }
        for (int c = 0; c < k; c++) sum += log_p[c] = exp(log_p[c] - top);
        for (part = log_p[0]; j + 1 < k && part < (double)chance[i] * sum; part += log_p[++j]) { }
        often[j]++;
        for (ptrdiff_t l = 0; l < size; l++) u[i * size + l] -= means[j * size + l];
    }
    for (int c = 0; c < k; c++) chi += pow(often[c] - (double)n / k, 2) * k / n;
    chi_tails(chi, k - 1, tails);                  /* counts are whole: 0 is no rare value of chi */
    if (n >= 5 * k) doubt_add(r, tails[1], chi / (k - 1), 1,
                              "how often each of the %d means comes", k);
}

/* posterior_white -- draws of the exact posterior along the eigenvectors of its covariance; the
 * bands are eighths of them, from the largest variance on. Returns how many. */
static inline ptrdiff_t posterior_white(doubts *r, const fd_posterior *post, int n, const double *u,
                                        double *z, int *band, fd_arena a)
{
    const fd_gain *g = post->gain;
    const fd_space *s = &post->c0->s;
    const int m = g->o->m, size = (int)(s->ch * s->modes);
    double *C = fd_new(&a, double, (ptrdiff_t)size * size);
    double *V = fd_raw(&a, double, (ptrdiff_t)size * size);
    double *w = fd_raw(&a, double, size), *S = fd_new(&a, double, (ptrdiff_t)m * m), total = 0,
        off = 0;
    double *unit = fd_new(&a, double, (ptrdiff_t)m * m), least = sizeof(fd_real) == 4 ? 1e-4 : 1e-9;
    fd_real *f = fd_new(&a, fd_real, m * fd_size(s));
    ptrdiff_t d = 0;
    need(a.st);
    for (int i = 0; i < m; i++) unit[i * m + i] = 1;
    fd_gain_add(g, 1, m, unit, f, a);
    fd_gain_solve(g, 1, 1, m, unit, S, a);
    double *B = in_modes(&a, s, m, f), *mean = in_modes(&a, s, 1, post->mean);
    double *SB = fd_new(&a, double, (ptrdiff_t)m * size);
    need(a.st);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            for (int k = 0; k < size; k++) SB[i * size + k] += S[i * m + j] * B[j * size + k];
    for (int k = 0; k < size; k++) {
        C[k * size + k] = post->c0->lam[k % s->modes];
        for (int i = 0; i < m; i++)
            for (int l = 0; l < size; l++) C[k * size + l] -= B[i * size + k] * SB[i * size + l];
    }
    fd_eigen(a.st, size, C, w, V, a);
    need(a.st);
    while (d < size && w[d] > least * w[0]) d++;
    for (ptrdiff_t k = 0; k < d; k++) band[k] = (int)(8 * k / d);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < size; k++) {
            double v = 0;
            for (int l = 0; l < size; l++) v += V[(ptrdiff_t)k * size + l] * (u[(ptrdiff_t)i * size
                + l] - mean[l]);
            total += v * v;
            if (k < d) z[i * d + k] = v / sqrt(w[k]);
            else off += v * v;
        }
    if (d < size) doubt_add(r, off <= 4 * least * size * total ? 1 : 0, off / total, 0,
                            "part of |x - mean|^2 where the posterior has next to none");
    return d;
}

/* ---- fd judge -------------------------------------------------------------------------------- */

enum { LAW_GAUSS, LAW_MIXTURE, LAW_POSTERIOR };
enum { LAW_DIRECTIONS = 2048 };

static inline void judge_flags(const args *o)
{
    const char *law = t_exact.rows[o->exact.row].name;
    if (!o->file) die(2, "judge: needs a file of functions: fd judge FILE --cov SPEC");
    if (o->cov.row == COV_EMPIRICAL)
        die(2, "--cov: empirical is the spectrum of the functions themselves: name the law");
    if (o->exact.row == LAW_MIXTURE && !o->middle)
        die(2, "--law: mixture needs --mean, a file of as many functions");
    if (o->exact.row == LAW_POSTERIOR && !o->obs) die(2, "--law: posterior needs --obs");
    if (o->exact.row != LAW_POSTERIOR && o->obs) die(2, "--obs: has no meaning with --law %s", law);
    if (o->exact.row != LAW_POSTERIOR && is_given("noise"))
        die(2, "--noise: has no meaning with --law %s", law);
    if (o->exact.row == LAW_POSTERIOR && o->middle)
        die(2, "--mean: not with --law posterior: its prior has mean 0");
}

/* judge_open -- functions of a file as they are. */
static inline dataset judge_open(fd_arena *a, const char *path, const args *o, shape g)
{
    dataset d = data_open(a, path, o, NULL, g, g);
    d.norm = normal_plain(0);
    data_measure(a, &d, NORMALIZE_NONE, NULL);
    return d;
}

static inline void judge_print(const doubts *r, int n, ptrdiff_t d, double alpha)
{
    printf("%d functions, %ld numbers each that should be standard normal\n", n, (long)d);
    printf("%-46s %10s %10s %10s\n", "statistic", "seen", "expected", "p");
    for (int i = 0; i < r->n; i++) {
        const doubt *x = &r->at[i];
        printf("%-46s ", x->what);
        if (isnan(x->seen)) printf("%10s %10s", "", "");
        else printf("%10.4g %10.4g", x->seen, x->meant);
        printf(" %10.3g%s\n", x->p, x->p * r->n < alpha ? "  <-" : "");
    }
    const doubt *worst = doubt_worst(r);
    double p = fmin(1, worst->p * r->n);
    printf("%s: p = %.3g, the least of %d times %d%s%s\n", p < alpha ? "NOT THE LAW"
           : "nothing against the law", p,
           r->n, r->n, p < alpha ? ", by the " : "", p < alpha ? worst->what : "");
}

static inline int do_judge(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    doubts r = { .n = 0 };
    judge_flags(o);
    dataset x = judge_open(&a, o->file, o, (shape){ 0, { 1, 1, 1 } });
    const fd_space *s = &x.s;
    const ptrdiff_t size = fd_size(s);
    int n = x.m, *band = fd_raw(&a, int, size);
    if (n < 16) die(1, "%s: %d function%s; 16 at least say something of a law", o->file, n,
                    n == 1 ? "" : "s");
    fd_cov *c = cov_build(&a, s, &o->cov, NULL, 0);
    spec_need(&st, "cov");
    double *u = in_modes(&a, s, n, data_gather(&a, &x, 0, n)), *z = fd_raw(&a, double, n * size);
    need(&st);
    ptrdiff_t d;
    if (o->exact.row == LAW_POSTERIOR) {
        problem q;
        memset(&q, 0, sizeof q);
        q.s = *s;
        if (size > LAW_DIRECTIONS)
            die(1, "%s: %td values a function; a posterior is judged of at most %d", o->file, size,
                LAW_DIRECTIONS);
        obs_csv(&a, &q, o->obs, o->noise);
        fd_posterior *post = fd_posterior_new(&a, NULL, c, &q.o, q.y);
        need(&st);
        d = posterior_white(&r, post, n, u, z, band, a);
    } else {
        dataset m = o->middle ? judge_open(&a, o->middle, o, shape_of(s)) : x;
        if (m.s.ch != s->ch) die(1, "%s: %d channels where %s has %d", o->middle, m.s.ch, o->file,
                                 s->ch);
        if (o->middle && o->exact.row == LAW_GAUSS && m.m > 1)
            die(2, "--mean: %s has %d functions: --law mixture has so many means", o->middle, m.m);
        double *means = o->middle ? in_modes(&a, s, m.m, data_gather(&a, &m, 0, m.m)) : NULL;
        int mixed = o->exact.row == LAW_MIXTURE;
        if (mixed && m.m < 2) die(2, "--mean: %s has one function: a mixture has more", o->middle);
        if (mixed) components(&r, s, n, u, c->lam, m.m, means, fd_stream(fd_seed(o->seed), 'c', 0),
                              a);
        d = whiten(&r, s, n, u, c->lam, mixed ? NULL : means, z, band);
    }
    if (!d) die(1, "--cov: the law has no variance on this grid");
    judge_normal(&r, n, d, z, band, o->exact.row == LAW_POSTERIOR, a);
    judge_print(&r, n, d, o->alpha);
    finish();
    return fmin(1, doubt_worst(&r)->p * r.n) < o->alpha;
}
#endif
