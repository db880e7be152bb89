/* sampling.h -- functions of a kit drawn in batches; what is measured of them, and pictures. */
#ifndef SAMPLING_H
#define SAMPLING_H
#include "kit.h"

/* ---- Sampling -------------------------------------------------------------------------------- */

static inline fd_sampler sampler_of(const args *o, const fd_process *p, fd_model m, const double *t)
{
    const double *c = o->corrector.v;
    return (fd_sampler){ .p = p, .model = m, .t = t, .steps = o->steps, .scheme = o->scheme.row,
                         .eta = o->eta, .denoise = o->denoise, .start = o->start.row,
                         .corrector = o->corrector.row, .cprm = c[0], .inner = (int)c[1],
                         .before = (int)c[2], .band = o->corrector.row == FD_CORRECT_SNR
                             ? (int)c[3] : 0,
                         .churn = o->churn };
}

/* times_fit -- may --times go with the process? p gets its last time. Where there is no noise at 0,
 * a rule that needs noise ends before: a chain of DDPM at level 1, logsnr times elsewhere at a
 * thousandth of the last time. D of that is the sample. */
static inline int times_fit(const kit *k, const args *o, fd_process *p)
{
    *p = k->p;
    if (o->times.row == FD_UNIFORM) return 1;
    if (k->process.row == PROCESS_DDPM) p->tmin = 1;
    if (o->times.row == FD_LOGSNR && !(fd_law(p, p->tmin, 0).v > 0)) p->tmin = 1e-3 * p->tmax;
    return p->tmin > 0 || o->times.row != FD_GEOMETRIC;
}

/* settle -- o with what is "auto" replaced by what the process of k wants. Churn and eta need a
 * scheme that has a use for them. */
static inline args settle(const args *o, const kit *k)
{
    args s = *o;
    int kind = k->process.row;
    if (!is_given("batch") && s.batch > (s.n + ranks - 1) / ranks && ranks > 1)
        s.batch = (s.n + ranks - 1) / ranks;
    if (!s.steps) s.steps = STEPS_AUTO;
    if (s.scheme.row == SCHEME_AUTO)
        s.scheme.row = s.churn > 0 || s.eta > 0 ? FD_DDIM : sampled_by[kind].scheme;
    if (s.times.row == TIMES_AUTO)
        s.times = (spec){ .t = &t_times, .row = sampled_by[kind].times };
    if (s.start.row == START_AUTO) s.start.row = sampled_by[kind].start;
    return s;
}

/* settled_print -- the sampler in words, without an end of line. */
static inline void settled_print(const args *o)
{
    printf("%d steps of %s at %s times, start %s", o->steps, fd_scheme_name(o->scheme.row),
           t_times.rows[o->times.row].name, t_start.rows[o->start.row].name);
}

/* times_set -- the times of a sampler, t[steps+1]; those of a chain are whole: no other levels are
 * trained. */
static inline void times_set(const kit *k, const args *o, double *t, fd_status *st)
{
    fd_process p;
    int n = o->steps, whole = 0;
    if (!times_fit(k, o, &p))
        die(2, "--times: %s needs a last time above 0: %s %s:tmin=...",
            t_times.rows[o->times.row].name,
            k->net ? "train with --process" : "--process", k->process.t->rows[k->process.row].name);
    fd_times(&p, o->times.row, o->times.v[0], n, t, st);
    if (st->code) return;
    if (k->process.row == PROCESS_DDPM) whole = n <= p.tmax - p.tmin;
    for (int i = n - 1; i > 0 && whole; i--) t[i] = fmax(floor(t[i] + 0.5), t[i + 1] + 1);
    for (int i = 1; i < n && whole; i++) t[i] = fmin(t[i], t[i - 1] - 1);
}

/* batches_share -- the functions that the processes have made in turn, to all of them. */
static inline void batches_share(int n, int some, ptrdiff_t size, fd_real *x)
{
    for (int i = 0; i < n; i += some)
        ranks_share(x + i * size, (n - i < some ? n - i : some) * size * (ptrdiff_t)sizeof *x,
                    i / some % ranks);
}

/* sample -- n functions to x, o->batch at a time, batches in turn by the processes. states
 * [show][frames+1][size], where not NULL, gets the first `show` (at most o->batch) functions in
 * frames from noise to sample. */
static inline void sample(const kit *k, const args *flags, int n, fd_real *x, int show, int frames,
                          fd_real *states, fd_arena a)
{
    const args is = settle(flags, k), *o = &is;
    ptrdiff_t size = fd_size(&k->s);
    double *t = fd_raw(&a, double, o->steps + 1), begin = now();
    fd_sampler how = sampler_of(o, &k->p, k->model, t);
    how.mean = k->mean;
    how.cov = k->c0;
    need(a.st);
    if ((o->scheme.row == FD_ANCESTRAL_OPTIMAL && k->net)
        || (o->scheme.row == FD_ANNEALED && !o->corrector.row))
        die(2, "--scheme: %s: %s", t_scheme.rows[o->scheme.row].name,
            t_scheme.rows[o->scheme.row].help);
    times_set(k, o, t, a.st);
    for (int i = 0; i < n; i += o->batch) {
        fd_arena m = a;
        int b = n - i < o->batch ? n - i : o->batch, frame = 0, more = 1;
        if (i / o->batch % ranks != my_rank) continue;
        fd_run *run = fd_begin(&m, &how, fd_seed(o->seed), o->first + i, b);
        need(a.st);
        while (more) {
            for (; states && !i && frame <= frames && run->k * frames >= frame * o->steps; frame++)
                for (int j = 0; j < show; j++)
                    memcpy(states + (j * (frames + 1) + frame) * size, run->x + j * size,
                           (size_t)size * sizeof *x);
            more = fd_step(run, m);
            need_grid(a.st);
            double done = (i + (double)b * run->k / o->steps) / n, spent = now() - begin;
            if (isatty(2) && done > 0)
                progress("sample", i + b, done, -1, done * n / spent, spent * (1 / done - 1));
        }
        memcpy(x + i * size, run->x, (size_t)(b * size) * sizeof *x);
        for (int j = 0; states && !i && j < show; j++)                 /* denoised, too */
            memcpy(states + (j * (frames + 1) + frames) * size, run->x + j * size,
                   (size_t)size * sizeof *x);
    }
    batches_share(n, o->batch, size, x);
    bar_end();
}

/* ---- Metrics --------------------------------------------------------------------------------- */

/* Of samples against real data, beside what two independent sets of real data score. */

enum { METRICS = 6, SPLITS = 4 };
static const char *const metric_name[METRICS] = { "spectrum", "w2_modes", "frechet", "sliced_w2",
                                                  "energy_distance", "mmd2" };
static const char *const metric_help[METRICS] = {
    "mean |log10| of the ratio of the energy spectra", "squared W2 of Gaussians, diagonal in modes",
    "squared W2 of Gaussians on principal components", "sliced W2, squared",
    "unbiased; 0: the same law", "unbiased; 0: the same law" };

/* shells -- how many shells of waves |k| = 0, 1, .. a grid has all modes of. */
static inline int shells(const fd_space *s)
{
    int least = INT_MAX;
    for (int i = 0; i < s->nd; i++) {
        int n = s->bc[i] == FD_PERIODIC ? (s->n[i] + 1) / 2
              : s->bc[i] == FD_NEUMANN ? s->n[i] : s->n[i] + 1;
        if (n < least) least = n;
    }
    return least;
}

static inline void metrics_of(const fd_space *s, int n, const fd_real *x, const fd_real *y, int pcs,
                              double v[METRICS], fd_arena a)
{
    int bins = shells(s);
    double *e = fd_new(&a, double, bins), *f = fd_new(&a, double, bins);
    if (!e || !f) return;
    fd_spectrum(s, n, x, bins, e, a);
    fd_spectrum(s, n, y, bins, f, a);
    v[0] = 0;
    for (int i = 0; i < bins; i++) v[0] += fabs(log10((e[i] + 1e-12) / (f[i] + 1e-12))) / bins;
    v[1] = fd_w2_modes(s, n, x, n, y, a);
    v[2] = fd_frechet(s, pcs < n ? pcs : n - 1, n, x, n, y, a);
    v[3] = fd_sliced_w2(s, fd_seed(1), 128, n, x, n, y, a);
    v[4] = fd_energy_distance(s, n, x, n, y);
    v[5] = fd_mmd2(s, n, x, n, y, 0, a);
}

typedef struct {
    int splits;
    double x[METRICS], x_sd[METRICS], real[METRICS], real_sd[METRICS];     /* over the splits */
} scores;

/* score -- n samples against `splits` disjoint pairs of sets of n real functions, n <= m / 2. */
static inline scores score(const fd_space *s, int n, const fd_real *x, const dataset *real, int pcs,
                           fd_rng r, fd_arena a)
{
    int m = real->m;
    scores v = { .splits = m / (2 * n) < SPLITS ? m / (2 * n) : SPLITS };
    ptrdiff_t size = fd_size(s);
    int *p = fd_raw(&a, int, m);
    fd_real *y[2] = { fd_raw(&a, fd_real, n * size), fd_raw(&a, fd_real, n * size) };
    need(a.st);
    fd_perm(r, m, p);
    for (int k = 0; k < v.splits; k++) {
        double got[2][METRICS] = { { 0 } };
        for (int i = 0; i < 2 * n; i++)
            data_take(real, p[2 * n * k + i], y[i / n] + (i % n) * size, a);
        metrics_of(s, n, x, y[0], pcs, got[0], a);
        metrics_of(s, n, y[1], y[0], pcs, got[1], a);
        need(a.st);
        for (int j = 0; j < METRICS; j++) {
            v.x[j] += got[0][j];
            v.x_sd[j] += got[0][j] * got[0][j];
            v.real[j] += got[1][j];
            v.real_sd[j] += got[1][j] * got[1][j];
        }
    }
    double c = v.splits, d = c > 1 ? c - 1 : 1;
    for (int j = 0; j < METRICS; j++) {
        v.x[j] /= c;
        v.real[j] /= c;
        v.x_sd[j] = sqrt(fmax(0, v.x_sd[j] - c * v.x[j] * v.x[j]) / d);
        v.real_sd[j] = sqrt(fmax(0, v.real_sd[j] - c * v.real[j] * v.real[j]) / d);
    }
    return v;
}

static inline void text_save(const char *path, const char *text)
{
    fd_status st = { 0 };
    fd_text_save(&st, path, text);
    need(&st);
    wrote(path);
}

/* ---- Pictures -------------------------------------------------------------------------------- */

/* panel -- channel c of one function as an image h x w: 2-D as it is, 3-D its middle slice, 1-D a
 * curve between lo and hi. With y NULL only the size. */
static inline void panel(const fd_space *s, const fd_real *x, int c, double lo, double hi, int *h,
                         int *w, fd_real *y)
{
    int n = s->n[s->nd - 1], wide = s->nd == 1 ? (95 + n) / n : 1;
    *h = s->nd == 1 ? 64 : s->n[s->nd - 2];
    *w = n * wide;
    if (!y) return;
    x += c * s->points + (s->nd == 3 ? (ptrdiff_t)(s->n[0] / 2) * *h * *w : 0);
    if (s->nd > 1) { memcpy(y, x, (size_t)(*h * *w) * sizeof *y); return; }
    for (int i = 0; i < *h * *w; i++) y[i] = (fd_real)lo;
    for (int i = 0, last = -1; i < *w; i++) {
        double u = (double)i / wide, part = u - (int)u;
        int j = (int)u, k = j + 1 < n ? j + 1 : j;
        double v = (double)x[j] + part * (double)(x[k] - x[j]);
        int at = (int)((*h - 1) * (1 - fmin(1, fmax(0, (v - lo) / (hi - lo)))) + 0.5);
        if (last < 0) last = at;
        for (int a = at < last ? at : last, b = at < last ? last : at; a <= b; a++)
            y[a * *w + i] = (fd_real)hi;
        last = at;
    }
}

/* sheet -- b functions, cols beside each other (0: a square of them); a panel for each channel. */
static inline void sheet(fd_status *st, const char *path, const fd_space *s, int b, int cols,
                         const fd_real *x, double lo, double hi, int map, fd_arena a)
{
    int h, w, c = b * s->ch;
    panel(s, x, 0, lo, hi, &h, &w, NULL);
    const ptrdiff_t size = (ptrdiff_t)h * w;
    cols = (cols ? cols : (int)ceil(sqrt(b))) * s->ch;
    int zoom = 720 / (cols * w);
    fd_real *y = fd_raw(&a, fd_real, c * size);
    need(st);
    for (int f = 0; f < c; f++)
        panel(s, x + f / s->ch * fd_size(s), f % s->ch, lo, hi, &h, &w, y + f * size);
    fd_png_sheet(st, path, c, cols, h, w, y, lo, hi, map, zoom < 1 ? 1 : zoom > 4 ? 4 : zoom, a);
    need(st);
    wrote(path);
}

/* range -- lo and hi of n numbers. */
static inline void range(ptrdiff_t n, const fd_real *x, double *lo, double *hi)
{
    *lo = *hi = (double)x[0];
    for (ptrdiff_t i = 1; i < n; i++) {
        *lo = fmin(*lo, (double)x[i]);
        *hi = fmax(*hi, (double)x[i]);
    }
    if (*hi <= *lo) *hi = *lo + 1;
}

/* unit -- each of `frames` columns of states [show][frames][size] to its own range, 0 to 1, because
 * noise may be much larger than data. */
static inline void unit(int show, int frames, ptrdiff_t size, fd_real *x)
{
    for (int f = 0; f < frames; f++) {
        double lo = 0, hi = 0;
        for (int i = 0; i < show; i++) {
            double l, h;
            range(size, x + (i * frames + f) * size, &l, &h);
            lo = i ? fmin(lo, l) : l;
            hi = i ? fmax(hi, h) : h;
        }
        for (int i = 0; i < show; i++)
            for (ptrdiff_t j = 0; j < size; j++) {
                fd_real *v = x + (i * frames + f) * size + j;
                *v = (fd_real)(((double)*v - lo) / (hi - lo));
            }
    }
}

#endif
