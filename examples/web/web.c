/* web.c -- every number that page.html shows. A question is one line, its kind and then key=value:
 *
 *     path law=kinds process=vp scheme=ddim noise=matern length=0.1 steps=40 seed=3
 *
 * and its answer is a list of named arrays: see path, law, posterior and clothes below. The same
 * file is compiled for browsers (wasm) and for desktops (host.c), and an answer has the same hash
 * on both (FD_STRICT). Static memory only: no malloc, no files. */
#include "web.h"
#include <math.h>

enum { OUTS = 48, GRIDS = 3, SEEN = 8, DRAWN = 8, MANY = 200, CLOTHES = 4, MEMORY = 64 << 20 };
static const int grids[GRIDS] = { 16, 64, 256 };
static char mem[MEMORY];
static char line[WEB_LINE];
static fd_status status;
static struct { const char *name; const fd_real *x; int n; } out[OUTS];
static int outs;
/* An answer that is not complete yet, one run for each image (it takes less memory than one for
 * all), where its arrays are, and what is free while it runs. */
static struct { int runs; fd_run *run[CLOTHES]; fd_real *x, *d; fd_arena rest; } going;

/* put, put_double -- one more array of the answer; the second one as fd_real. */
static void put(const char *name, ptrdiff_t n, const fd_real *x)
{
    if (!x || outs == OUTS) return;
    out[outs].name = name;
    out[outs].x = x;
    out[outs++].n = (int)n;
}

static void put_double(fd_arena *a, const char *name, ptrdiff_t n, const double *x)
{
    fd_real *y = fd_raw(a, fd_real, n);
    for (ptrdiff_t i = 0; y && i < n; i++) y[i] = (fd_real)x[i];
    put(name, n, y);
}

/* ---- Questions ------------------------------------------------------------------------------- */

/* In the order of the words. Schemes are those of the library, by its numbers and names. */
enum { SMOOTH, ROUGH, KINDS };
enum { VP, VP_COSINE, SUBVP, OU, VE, DRIFTLESS, FLOW, FLOW_VP, FDP, HEAT };
enum { MATERN, EXPONENTIAL, RBF, BAND, PIXEL_WHITE };
enum { CONDITIONAL, EXACT, PIGDM, DPS, DPS_PLAIN, NO_GUIDANCE };
static const int rules[] = { FD_LOGSNR, FD_UNIFORM, FD_RHO, FD_GEOMETRIC };

enum { LAW, PROCESS, SCHEME, TIMES, NOISE, METHOD, LENGTH, STEPS, SEED, POINTS, COUNT, SD, KEYS };
static const struct { const char *name, *words; double first, lo, hi; } key[KEYS] = {
    { "law", "smooth|rough|kinds", SMOOTH, 0, 0 },
    { "process", "vp|vp-cosine|subvp|ou|ve|driftless|flow|flow-vp|fdp|heat", VP, 0, 0 },
    { "scheme", NULL, FD_PF_MULTISTEP, 0, 0 },
    { "times", "logsnr|uniform|rho|geometric", 0, 0, 0 },
    { "noise", "matern|exp|rbf|band|pixel-white", MATERN, 0, 0 },
    { "method", "conditional|exact|pigdm|dps|dps-plain|none", PIGDM, 0, 0 },
    { "length", NULL, .1, .02, 1 }, { "steps", NULL, 40, 2, 100 }, { "seed", NULL, 1, 0, 999999 },
    { "points", NULL, 64, 8, 128 }, { "count", NULL, CLOTHES, 1, CLOTHES },
    { "sd", NULL, .1, .01, 2 } };
static double value[KEYS];                         /* of the question now */
static double at[SEEN], seen[SEEN];                /* at=.2,.5 y=1,-1 */
static int ats, seens;

static int is(int k) { return (int)value[k]; }

/* join -- append n characters of text, or all (-1), to s, of WEB_LINE bytes. */
static void join(char *s, const char *text, int n)
{
    const size_t old = strlen(s);
    size_t more = n < 0 ? strlen(text) : (size_t)n;
    if (old + more >= WEB_LINE) more = WEB_LINE - 1 - old;
    memcpy(s + old, text, more);
    s[old + more] = 0;
}

/* join_number -- the same of a number with two decimals or fewer. */
static void join_number(char *s, double x)
{
    char text[24], *p = text + sizeof text - 1;
    long long v = (long long)(x * 100 + .5);
    int left = 2;
    for (; left && v % 10 == 0; left--) v /= 10;
    *p = 0;
    for (int i = 0; i <= left || v; i++, v /= 10) {
        if (i && i == left) *--p = '.';
        *--p = (char)('0' + v % 10);
    }
    join(s, p, -1);
}

/* words_of -- what key k may be, or NULL for a number. */
static const char *words_of(int k)
{
    static char schemes[WEB_LINE];
    if (k != SCHEME) return key[k].words;
    for (int i = 0; i < FD_ANNEALED && !(i == 0 && *schemes); i++) {
        if (i) join(schemes, "|", -1);
        join(schemes, fd_scheme_name(i), -1);
    }
    return schemes;
}

/* word -- the word number i of a list; its length to n. */
static const char *word(const char *words, int i, int *n)
{
    for (; i > 0; i--) words = strchr(words, '|') + 1;
    *n = (int)strcspn(words, "|");
    return words;
}

const char *web_key(int i)
{
    static char text[WEB_LINE];
    int n;
    if (i < 0 || i >= KEYS) return NULL;
    *text = 0;
    join(text, key[i].name, -1);
    join(text, " ", -1);
    if (words_of(i)) {
        const char *first = word(words_of(i), (int)key[i].first, &n);
        join(text, first, n);
        join(text, " ", -1);
        join(text, words_of(i), -1);
        return text;
    }
    const double numbers[3] = { key[i].first, key[i].lo, key[i].hi };
    for (int j = 0; j < 3; j++) join_number(text, numbers[j]), join(text, j < 2 ? " " : "", -1);
    return text;
}

/* same -- is name the n characters at s? */
static int same(const char *name, const char *s, int n)
{
    return (int)strlen(name) == n && !memcmp(name, s, (size_t)n);
}

/* wrong -- the answer to a question that has none. Returns 0. */
static int wrong(const char *what, const char *about, int n)
{
    char text[WEB_LINE] = "";
    join(text, about, n);
    join(text, what, -1);
    memcpy(line, text, sizeof line);
    return 0;
}

/* number_read -- a decimal number of at most 15 digits at *s, which is moved behind it; 0 where
 * there is none. As the quotient of two whole numbers that are exact it is the nearest double. */
static int number_read(const char **s, double *x)
{
    const char *p = *s;
    const int minus = *p == '-';
    double v = 0, unit = 1;
    int digits = 0, dot = 0;
    for (p += minus; (*p >= '0' && *p <= '9') || (*p == '.' && !dot); p++) {
        if (*p == '.') { dot = 1; continue; }
        v = 10 * v + (*p - '0');
        if (dot) unit *= 10;
        if (++digits > 15) return 0;
    }
    *s = p;
    *x = (minus ? -v : v) / unit;
    return digits > 0;
}

/* list_read -- numbers with commas between them: how many, or -1. */
static int list_read(const char *s, const char *end, double x[SEEN])
{
    int n = 0;
    while (s < end) {
        if (n == SEEN || !number_read(&s, &x[n])) return -1;
        n++;
        if (s < end && *s++ != ',') return -1;
    }
    return n;
}

/* key_read -- key=value of n characters. */
static int key_read(const char *s, int n)
{
    const char *equals = memchr(s, '=', (size_t)n), *v = equals ? equals + 1 : s;
    const int length = equals ? (int)(equals - s) : n, places = same("at", s, length);
    int k = 0, m;
    if (!equals) return wrong(": expected key=value", s, n);
    if (places || same("y", s, length)) {
        const int count = list_read(v, s + n, places ? at : seen);
        *(places ? &ats : &seens) = count;
        return count >= 0 || wrong(": expected up to 8 numbers with commas between them", s, n);
    }
    while (k < KEYS && !same(key[k].name, s, length)) k++;
    if (k == KEYS) return wrong(": there is no such key", s, n);
    if (!words_of(k)) {
        const int fraction = k == LENGTH || k == SD;
        if (number_read(&v, &value[k]) && v == s + n && value[k] >= key[k].lo
            && value[k] <= key[k].hi && (fraction || value[k] == floor(value[k]))) return 1;
        char text[WEB_LINE] = ": expected a ";
        join(text, fraction ? "number from " : "whole number from ", -1);
        join_number(text, key[k].lo);
        join(text, " to ", -1);
        join_number(text, key[k].hi);
        return wrong(text, s, n);
    }
    for (int i = 0; ; i++) {
        const char *w = word(words_of(k), i, &m);
        if (m == (int)(s + n - v) && !memcmp(w, v, (size_t)m)) {
            value[k] = i;
            return 1;
        }
        if (w[m] != '|') return wrong(": there is no such word", s, n);
    }
}

/* ---- Functions of one variable on a circle --------------------------------------------------- */

/* Data, noise, process, model and sampler on one grid. */
typedef struct {
    fd_space s;
    fd_cov *noise;
    const fd_cov *c[2];
    fd_real *means;                                /* [2][n]; used where law=kinds */
    fd_process p;
    double *t;
    fd_sampler how;
} world;

static fd_cov *noise_new(fd_arena *a, const fd_space *s)
{
    enum { WAVES = 8 };
    const double l = value[LENGTH];
    switch (is(NOISE)) {
    case MATERN: return fd_cov_matern(a, s, 1, l, 1.5);
    case EXPONENTIAL: return fd_cov_exp(a, s, 1, l);
    case RBF: return fd_cov_rbf(a, s, 1, l);
    case BAND: return fd_cov_white(a, s, 1. / (2 * WAVES + 1), s->n[0] / 2 < WAVES ? 0 : WAVES);
    default: return fd_cov_white(a, s, 1. / s->n[0], 0);       /* no law on functions */
    }
}

static fd_process process_new(fd_arena *a, const fd_cov *noise)
{
    switch (is(PROCESS)) {
    case VP: return fd_vp(noise, .1, 20);
    case VP_COSINE: return fd_vp_cosine(noise);
    case SUBVP: return fd_subvp(noise, .1, 20);
    case OU: return fd_ou(noise, 8);
    case VE: return fd_ve(noise, .01, 10);
    case DRIFTLESS: return fd_driftless(noise, 50);
    case FLOW: return fd_flow(noise, 1e-3);
    case FLOW_VP: return fd_flow_vp(noise, 0);
    case FDP: return fd_fdp(a, noise, .1, 10, NULL);
    default: return fd_heat(noise, 1, 1e-4, NULL, NULL, 4);
    }
}

static world *world_new(fd_arena *a, int n)
{
    world *w = fd_new(a, world, 1);
    if (!w) return NULL;
    const int steps = is(STEPS);
    w->s = fd_grid(a, 1, &n, NULL, NULL, 1);
    w->noise = noise_new(a, &w->s);
    w->means = fd_new(a, fd_real, 2 * n);
    for (int i = 0; w->means && i < n && is(LAW) == KINDS; i++) {
        const double x = 2 * acos(-1) * fd_coord(&w->s, 0, i);
        w->means[i] = (fd_real)(1.5 * sin(x));
        w->means[n + i] = (fd_real)(1.5 * cos(2 * x));
    }
    w->c[0] = is(LAW) == SMOOTH ? fd_cov_matern(a, &w->s, 1, .25, 2.5)
            : is(LAW) == ROUGH ? fd_cov_exp(a, &w->s, 1, .2)
            : fd_cov_matern(a, &w->s, .1, .15, 2.5);
    w->c[1] = w->c[0];
    w->p = process_new(a, w->noise);
    if (!(w->p.tmin > 0)) w->p.tmin = 1e-3 * w->p.tmax;
    w->t = fd_raw(a, double, steps + 1);
    if (w->t) fd_times(&w->p, rules[is(TIMES)], 0, steps, w->t, a->st);
    const fd_model m = is(LAW) == KINDS
        ? fd_oracle_mix(a, &w->p, 2, (double[]){ .5, .5 }, w->means, w->c)
        : fd_oracle_gauss(a, &w->p, NULL, w->c[0]);
    w->how = (fd_sampler){ .p = &w->p, .model = m, .t = w->t, .steps = steps, .scheme = is(SCHEME),
        .eta = is(SCHEME) == FD_ETA_EULER ? .5 : 0, .denoise = 1 };
    return a->st->code ? NULL : w;
}

/* modes_law -- the variance of each mode of the data, about the mean of all of them. */
static double *modes_law(fd_arena *a, const world *w)
{
    const int n = w->s.n[0];
    double *var = fd_raw(a, double, n);
    fd_real *u = fd_raw(a, fd_real, 2 * n);
    if (!u) return NULL;
    fd_to_modes(&w->s, 2, w->means, u, *a);
    for (int k = 0; k < n; k++) {
        const double half = ((double)u[k] - (double)u[n + k]) / 2;
        var[k] = w->c[0]->lam[k] + half * half;
    }
    return var;
}

/* by_wave -- the mean of what cos and sin of a wave have, waves 0 .. (n - 1)/2. */
static void by_wave(fd_arena *a, const char *name, int n, const double *var)
{
    const int waves = (n + 1) / 2;
    double *e = fd_raw(a, double, waves);
    for (int k = 1; var && e && k < waves; k++) e[k] = (var[2 * k - 1] + var[2 * k]) / 2;
    if (var && e) e[0] = var[0], put_double(a, name, waves, e);
}

/* path -- one function on its way from noise to data on three grids, from one seed: x0, x1, x2
 * [steps + 1][points] and what the model expects of it, d0, d1, d2; t, m and s = sqrt v of the
 * first wave, and width, the deviation of the state, [steps + 1]. */
static void path(fd_arena *a)
{
    static const char *const xs[] = { "x0", "x1", "x2" }, *const ds[] = { "d0", "d1", "d2" };
    const int rows = is(STEPS) + 1;
    const world *w = NULL;
    for (int g = 0; g < GRIDS; g++) {
        const int n = grids[g];
        fd_real *x = fd_new(a, fd_real, rows * n), *d = fd_new(a, fd_real, rows * n);
        w = world_new(a, n);
        fd_run *r = w && d ? fd_begin(a, &w->how, fd_seed((uint64_t)value[SEED]), 0, 1) : NULL;
        if (!r) return;
        for (int k = 0; k < rows; k++) {
            memcpy(x + k * n, r->x, (size_t)n * sizeof *x);
            if (k + 1 < rows) {
                fd_predict(&w->how.model, FD_X0, &w->p, 1, r->x, w->t + k, d + k * n, *a);
                fd_step(r, *a);
            } else memcpy(d + k * n, r->x, (size_t)n * sizeof *x);
        }
        put(xs[g], rows * n, x);
        put(ds[g], rows * n, d);
    }
    double *m = fd_raw(a, double, rows), *s = fd_raw(a, double, rows);
    double *width = fd_raw(a, double, rows);
    const double *var = modes_law(a, w);
    if (!m || !s || !width || !var) return;
    for (int k = 0; k < rows; k++) {
        const fd_coef first = fd_law(&w->p, w->t[k], 1);
        m[k] = first.m, s[k] = sqrt(first.v), width[k] = 0;
        for (int i = 0; i < w->s.n[0]; i++) {
            const fd_coef f = fd_law(&w->p, w->t[k], i);
            width[k] += f.m * f.m * var[i] + f.v * w->noise->lam[i];
        }
        width[k] = sqrt(width[k]);
    }
    put_double(a, "t", rows, w->t);
    put_double(a, "m", rows, m);
    put_double(a, "s", rows, s);
    put_double(a, "width", rows, width);
}

/* moments -- mean and variance of b numbers, b rows of n, at each of n places. */
static void moments(int b, int n, const fd_real *x, double *mean, double *var)
{
    for (int i = 0; i < n; i++) {
        double s = 0, q = 0;
        for (int j = 0; j < b; j++) s += (double)x[j * n + i];
        s /= b;
        for (int j = 0; j < b; j++) q += ((double)x[j * n + i] - s) * ((double)x[j * n + i] - s);
        if (mean) mean[i] = s;
        var[i] = q / b;
    }
}

/* law_on -- on one grid: variances by wave of the data, of what the sampler makes exactly (no
 * mixtures) and of MANY samples. Returns the samples; how far the sampler is off to *off: the
 * Wasserstein distance between both laws over the deviation of the data, -1 where it is not
 * known. */
static fd_real *law_on(fd_arena *a, const world *w, const char *const name[3], double **exact,
                       double *off)
{
    const int n = w->s.n[0];
    double *data = modes_law(a, w), *var = fd_raw(a, double, 2 * n), *drawn = fd_raw(a, double, n);
    fd_real *x = fd_raw(a, fd_real, MANY * n), *u = fd_raw(a, fd_real, MANY * n);
    if (!u || !data) return NULL;
    *off = -1;
    by_wave(a, name[0], n, data);
    if (is(LAW) != KINDS) {
        double all = 0, apart = 0;
        fd_start_law(&w->how, var + n, var, *a);
        fd_exact_law(&w->how, var + n, var, *a);
        for (int k = 0; k < n; k++) {
            const double d = sqrt(data[k]) - sqrt(fmax(var[k], 0));
            all += data[k], apart += d * d + var[n + k] * var[n + k];
        }
        *off = sqrt(apart / all);
        by_wave(a, name[1], n, var);
        *exact = var;
    }
    fd_sample(&w->how, fd_seed((uint64_t)value[SEED]), 0, MANY, x, *a);
    fd_to_modes(&w->s, MANY, x, u, *a);
    moments(MANY, n, u, NULL, drawn);
    by_wave(a, name[2], n, drawn);
    return x;
}

/* law -- data<g>, exact<g>, drawn<g> by wave on three grids g and how far the sampler is off; on
 * the finest, by point: mean and deviation of the data (mean, sd) and of the samples (drawn-mean,
 * drawn-sd), the deviation that the sampler makes exactly (exact-sd), and the first samples
 * (draws). */
static void law(fd_arena *a)
{
    static const char *const name[GRIDS][3] = { { "data0", "exact0", "drawn0" },
        { "data1", "exact1", "drawn1" }, { "data2", "exact2", "drawn2" } };
    const int n = grids[GRIDS - 1];
    double off[GRIDS], *exact = NULL, *m = fd_raw(a, double, n), *sd = fd_raw(a, double, n);
    double *drawn = fd_raw(a, double, n), *drawn_sd = fd_raw(a, double, n);
    const fd_real *x = NULL;
    const world *w = NULL;
    for (int g = 0; g < GRIDS; g++) {
        w = world_new(a, grids[g]);
        x = w ? law_on(a, w, name[g], &exact, off + g) : NULL;
        if (!x) return;
    }
    fd_real *made = fd_raw(a, fd_real, n), *own = fd_raw(a, fd_real, n);
    if (!own) return;
    moments(MANY, n, x, drawn, drawn_sd);
    fd_cov_std(w->c[0], own, *a);
    for (int i = 0; i < n; i++) {
        const double half = ((double)w->means[i] - (double)w->means[n + i]) / 2;
        m[i] = ((double)w->means[i] + (double)w->means[n + i]) / 2;
        sd[i] = sqrt((double)own[i] * (double)own[i] + half * half);
        drawn_sd[i] = sqrt(drawn_sd[i]);
    }
    put_double(a, "off", GRIDS, off);
    put_double(a, "mean", n, m), put_double(a, "sd", n, sd);
    put_double(a, "drawn-mean", n, drawn), put_double(a, "drawn-sd", n, drawn_sd);
    put("draws", DRAWN * n, x);
    if (!exact) return;
    for (int k = 0; k < n; k++) exact[k] = fmax(exact[k], 0);
    fd_cov_std(fd_cov_table(a, &w->s, exact), made, *a);
    put("exact-sd", n, made);
}

/* ---- A function of which some values are known ----------------------------------------------- */

/* one step of a sampler, as fd_affine_law wants it: z are the coefficients of white noise */
typedef struct { fd_sampler how; double t, s; } walk;
static void walk_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    const walk *w = self;
    const fd_cov *c = w->how.p->noise;
    const int n = (int)c->s.points;
    fd_real *u = fd_raw(&a, fd_real, b * n), *xi = fd_raw(&a, fd_real, b * n);
    fd_real *d = fd_raw(&a, fd_real, b * n);
    if (!d) return;
    for (int i = 0; i < b * n; i++) {
        u[i] = (fd_real)x[i];
        xi[i] = (fd_real)(sqrt(c->lam[i % n]) * z[i]);
    }
    fd_from_modes(&c->s, b, xi, xi, a);
    fd_advance(&w->how, w->t, w->s, b, u, xi, d, a);
    for (int i = 0; i < b * n; i++) x[i] = (double)u[i];
}

/* method_model -- the model that draws given the observation. */
static fd_model method_model(fd_arena *a, const fd_process *p, const fd_cov *prior, const fd_obs *o)
{
    static const int rule[] = { 0, FD_GUIDE_EXACT, FD_GUIDE_PIGDM, FD_GUIDE_DPS, FD_GUIDE_DPS };
    const fd_model m = fd_oracle_gauss(a, p, NULL, prior);
    if (is(METHOD) == NO_GUIDANCE) return m;
    if (is(METHOD) == CONDITIONAL)
        return fd_oracle_posterior(a, p, 1, (double[]){ 1 }, NULL, &prior, o, seen);
    const fd_guide guide = { .p = p, .model = m, .o = o, .y = seen, .rule = rule[is(METHOD)],
        .zeta = is(METHOD) >= DPS ? .3 : 1, .plain = is(METHOD) == DPS_PLAIN };
    return fd_guided(a, &guide);
}

/* walk_law -- the exact law of what the sampler makes: its mean and deviation at each point; and x,
 * DRAWN functions. All are divided by m of the last time, where a little noise is left. */
static void walk_law(fd_arena *a, fd_sampler how, double *mean, double *sd, fd_real *x)
{
    const int n = (int)how.p->noise->s.points;
    walk w = { .how = how };
    double *cov = fd_new(a, double, n * n);
    fd_real *unit = fd_new(a, fd_real, n * n);
    if (!unit || !mean || !x) return;
    const double v = fd_law(how.p, how.t[0], 0).v, m = fd_law(how.p, how.t[how.steps], 0).m;
    for (int i = 0; i < n; i++) unit[i * n + i] = 1;
    fd_cov_pow(how.p->noise, 1, n, unit, unit, *a);        /* columns of the kernel, times h */
    for (int i = 0; i < n * n; i++) cov[i] = v * (double)unit[i] / how.p->noise->s.h;
    for (int i = 0; i < n; i++) mean[i] = 0;
    for (int k = 0; k < how.steps && !a->st->code; k++) {
        w.t = how.t[k], w.s = how.t[k + 1];
        fd_affine_law(walk_step, &w, n, n, mean, cov, *a);
    }
    fd_sample(&how, fd_seed((uint64_t)value[SEED]), 0, DRAWN, x, *a);
    for (int i = 0; i < n; i++) mean[i] /= m, sd[i] = sqrt(fmax(cov[i * n + i], 0)) / m;
    for (int i = 0; i < DRAWN * n; i++) x[i] = (fd_real)((double)x[i] / m);
}

/* posterior -- of a function on [0, 1] with a Matern prior, given y = its values at `at` with noise
 * sd: exactly (mean, sd, draws), and as a guided sampler makes it (made-mean and made-sd, which are
 * exact, and made-draws); x, the places of the points; off, how far both means and both deviations
 * are apart; evidence, log p(y). */
static void posterior(fd_arena *a)
{
    const int n = is(POINTS), steps = is(STEPS);
    double *m = fd_raw(a, double, n), *sd = fd_raw(a, double, n), *place = fd_raw(a, double, n);
    double *t = fd_raw(a, double, steps + 1);
    fd_real *x = fd_raw(a, fd_real, DRAWN * n), *made = fd_raw(a, fd_real, DRAWN * n);
    fd_real *dev = fd_raw(a, fd_real, n);
    fd_space s = fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    const fd_cov *prior = fd_cov_matern(a, &s, 1, .2, 1.5), *noise = fd_cov_exp(a, &s, 1, .2);
    fd_process p = fd_ou(noise, 8);
    fd_obs o = fd_obs_points(a, &s, ats, at, NULL);
    fd_obs_noise(a, &o, value[SD]);
    const fd_posterior *q = fd_posterior_new(a, NULL, prior, &o, seen);
    if (!q || a->st->code) return;
    fd_posterior_draw(q, fd_seed((uint64_t)value[SEED]), 0, DRAWN, x, *a);
    fd_posterior_std(q, dev, *a);
    p.tmin = 1e-3;
    fd_times(&p, FD_LOGSNR, 0, steps, t, a->st);
    const fd_sampler how = { .p = &p, .model = method_model(a, &p, prior, &o), .t = t,
        .steps = steps, .scheme = FD_ANCESTRAL };
    walk_law(a, how, m, sd, made);
    double miss[2] = { 0, 0 }, all[2] = { 0, 0 }, evidence = q->evidence;
    for (int i = 0; i < n; i++) {
        const double mean = (double)q->mean[i], d = (double)dev[i];
        miss[0] += (m[i] - mean) * (m[i] - mean), all[0] += mean * mean;
        miss[1] += (sd[i] - d) * (sd[i] - d), all[1] += d * d;
        place[i] = fd_coord(&s, 0, i);
    }
    for (int i = 0; i < 2; i++) miss[i] = all[i] > 0 ? sqrt(miss[i] / all[i]) : 0;
    put_double(a, "x", n, place);
    put("mean", n, q->mean), put("sd", n, dev), put("draws", DRAWN * n, x);
    put_double(a, "made-mean", n, m), put_double(a, "made-sd", n, sd);
    put("made-draws", DRAWN * n, made);
    put_double(a, "off", 2, miss), put_double(a, "evidence", 1, &evidence);
}

/* ---- A network of clothes -------------------------------------------------------------------- */

/* The upper half of a float. */
static fd_real half_read(const unsigned char *p)
{
    const uint32_t u = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    float x;
    memcpy(&x, &u, 4);
    return x;
}

/* weights_read -- clothes.w8 as pack.c writes it: blocks of a scale and whole numbers of 8 bits,
 * then mean and spectrum of the data. */
static void weights_read(fd_net *net, fd_real *mean, double *spectrum, fd_status *st)
{
    enum { N = WEB_SIDE * WEB_SIDE };
    const unsigned char *p = web_weights;
    const ptrdiff_t blocks = net ? (net->count + WEB_BLOCK - 1) / WEB_BLOCK : 0;
    if (!net || !mean || !spectrum) return;
    if (web_weights_size != 2 * blocks + net->count + 4 * N) {
        FD_FAIL(st, FD_EDATA, "weights_read", "bytes, but expected", web_weights_size,
                2 * blocks + net->count + 4 * N);
        return;
    }
    for (ptrdiff_t i = 0; i < net->count; i += WEB_BLOCK) {
        const fd_real scale = half_read(p);
        p += 2;
        for (ptrdiff_t j = i; j < net->count && j < i + WEB_BLOCK; j++)
            net->w[j] = scale * (fd_real)(*p++ - 128);
    }
    for (int i = 0; i < N; i++, p += 2) mean[i] = half_read(p);
    for (int i = 0; i < N; i++, p += 2) spectrum[i] = (double)half_read(p);
}

/* What stays while clothes are drawn. */
typedef struct { fd_space s; fd_process p; double t[101]; fd_sampler how; } wardrobe;

/* clothes -- `count` images on points x points from one seed, the same functions on every grid: x
 * [count][points][points], 1 light and -1 dark, and d, what the network expects of them. The noise
 * has the modes of the grid of training and no others. Complete when web_more is 0. */
static void clothes(fd_arena *a)
{
    const int side = WEB_SIDE, n = is(POINTS), count = is(COUNT);
    const int bc[2] = { FD_NEUMANN, FD_NEUMANN };
    wardrobe *w = fd_new(a, wardrobe, 1);
    fd_space own = fd_grid(a, 2, (int[]){ side, side }, NULL, bc, 1);
    fd_net *net = fd_net_new(a, &web_arch, fd_seed(0));
    fd_real *learned = fd_raw(a, fd_real, side * side), *mean = fd_raw(a, fd_real, n * n);
    double *spectrum = fd_raw(a, double, side * side), *band = fd_raw(a, double, side * side);
    weights_read(net, learned, spectrum, a->st);
    for (int i = 0; band && i < side * side; i++) band[i] = 1. / (side * side);
    if (a->st->code) return;
    w->s = fd_grid(a, 2, (int[]){ n, n }, NULL, bc, 1);
    const fd_cov *noise = fd_cov_on(a, fd_cov_table(a, &own, band), &w->s);
    const fd_cov *c0 = fd_cov_on(a, fd_cov_table(a, &own, spectrum), &w->s);
    fd_resample(&own, &w->s, 1, learned, mean, *a);
    w->p = fd_vp_cosine(noise);
    w->p.tmin = 1e-3 * w->p.tmax;
    fd_times(&w->p, FD_LOGSNR, 0, is(STEPS), w->t, a->st);
    const fd_precond *pre = fd_precond_new(a, &w->p, mean, c0);
    w->how = (fd_sampler){ .p = &w->p, .t = w->t, .steps = is(STEPS), .scheme = FD_PF_MULTISTEP,
        .denoise = 1, .model = fd_precond_model(a, pre, fd_net_model(a, net, FD_X0)) };
    for (int i = 0; i < count; i++)
        going.run[i] = fd_begin(a, &w->how, fd_seed((uint64_t)value[SEED]), i, 1);
    going.x = fd_new(a, fd_real, count * n * n);
    going.d = fd_new(a, fd_real, count * n * n);
    if (!going.d) return;
    for (int i = 0; i < count; i++)
        memcpy(going.x + i * n * n, going.run[i]->x, (size_t)(n * n) * sizeof *going.x);
    going.runs = count;
    going.rest = *a;
    put("x", count * n * n, going.x), put("d", count * n * n, going.d);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static const struct { const char *name; void (*answer)(fd_arena *a); } kind[] = {
    { "path", path }, { "law", law }, { "posterior", posterior }, { "clothes", clothes } };
enum { ANSWERS = sizeof kind / sizeof *kind };

char *web_line(void) { return line; }

static int question_read(const char *s)
{
    const int first = (int)strcspn(s, " ");
    int k = 0;
    while (k < ANSWERS && !same(kind[k].name, s, first)) k++;
    if (k == ANSWERS) return wrong(": expected path, law, posterior or clothes", s, first) - 1;
    for (int i = 0; i < KEYS; i++) value[i] = key[i].first;
    ats = seens = 0;
    for (s += first; *s; s += strcspn(s, " ")) {
        s += strspn(s, " ");
        if (*s && !key_read(s, (int)strcspn(s, " "))) return -1;
    }
    if (ats != seens) return wrong("at and y: not as many numbers", "", 0) - 1;
    for (int i = 0; i < ats; i++)
        if (!(at[i] >= 0 && at[i] <= 1)) return wrong("at: places are between 0 and 1", "", 0) - 1;
    return k;
}

int web_ask(void)
{
    char text[WEB_LINE];
    fd_arena a = fd_arena_over(mem, sizeof mem, &status);
    outs = 0;
    going.runs = 0;
    line[WEB_LINE - 1] = 0;
    memcpy(text, line, sizeof text);
    const int k = question_read(text);
    if (k < 0) return 0;
    kind[k].answer(&a);
    if (fd_explain(&status, line, sizeof line)) going.runs = outs = 0;
    return outs;
}

int web_more(void)
{
    int more = 0;
    for (int i = 0; i < going.runs; i++) {
        const size_t size = (size_t)fd_size(&going.run[i]->how.p->noise->s);
        more |= fd_step(going.run[i], going.rest);
        memcpy(going.x + (size_t)i * size, going.run[i]->x, size * sizeof *going.x);
        memcpy(going.d + (size_t)i * size, going.run[i]->d, size * sizeof *going.d);
    }
    fd_explain(&status, line, sizeof line);
    return more;
}

const char *web_name(int i) { return i >= 0 && i < outs ? out[i].name : NULL; }
int web_size(int i) { return i >= 0 && i < outs ? out[i].n : 0; }
const fd_real *web_data(int i) { return i >= 0 && i < outs ? out[i].x : NULL; }

const char *web_hash(void)
{
    static char text[17];
    uint64_t sum = 14695981039346656037u;
    for (int i = 0; i < outs; i++)
        for (int j = 0; j < out[i].n; j++) {
            uint32_t u;
            memcpy(&u, out[i].x + j, 4);
            for (int k = 0; k < 4; k++) sum = (sum ^ (u >> 8 * k & 255)) * 1099511628211u;
        }
    for (int i = 0; i < 16; i++) text[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
    return text;
}
