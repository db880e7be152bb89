/* vectors.h -- fd vectors: test vectors for programs of any language, and what makes a case of them.
 *
 * A group of cases is one .json, in the manner of Wycheproof: each case has a number, what it is
 * about, flags, the paper and equation, parameters, a tolerance and a result,
 *
 *     valid        the answer is y
 *     acceptable   published conventions differ: y, or the answer of one that `also` names
 *     invalid      the program must refuse, or (`must`: differ) must not give the answer y
 *
 * and arrays in stored .npz files beside it: GROUP/NNN.npz is the input, GROUP/NNN.json its
 * parameters alone, which is what a program under test sees, and GROUP/NNN.out.npz the answer y,
 * with ID/y for each convention or fault ID. A fault is a wrong formula that is found in published
 * code; what it would give is computed, so that a program's answer can be recognised.
 *
 * The bytes depend on the seed and on the build (float or double) alone. conform.h judges programs
 * by such files, cases_*.h have the cases; conform.md says how they are used. */
#ifndef VECTORS_H
#define VECTORS_H
#include "common.h"

enum { VALID, ACCEPTABLE, INVALID };
enum { CASE_INS = 80, CASE_OUTS = 48, CASE_TEXT = 3000, GROUP_TEXT = 1 << 19 };
typedef struct { char *s; size_t used, room; } text_of;

/* A case under way, and the group that it belongs to. */
typedef struct {
    fd_arena a;                          /* of the whole run; `mem` is free again after a case */
    fd_arena mem;
    const char *dir, *only;
    uint64_t seed;
    const char *group;
    int number, groups, cases, arrays, drawn;
    text_of text, ids;                   /* the group's .json; faults that it names */
    int result, law, must_differ;
    double tol;
    char what[240], flags[120], paper[120];
    char params_text[CASE_TEXT];
    text_of params;
    int ins, outs, finals;               /* finals: the answers among outs come first */
    fd_tensor in[CASE_INS], out[CASE_OUTS];
    int alternative[CASE_OUTS];          /* 1: of `also`, not of a fault */
} casebook;

#define VECTORS_SCHEMA "fd-vectors-1"
static inline double tol_usual(void) { return sizeof(fd_real) == 4 ? 2e-5 : 1e-9; }

/* What a fault is: the sentence that fd conform prints. "As in" names code that has it, or had. */
static const struct { const char *id, *text; } fault_list[] = {
    { "conjugate", "the transform has the other sign of i" },
    { "no-scale", "the factor 1/n of the transform is missing" },
    { "scaled", "a factor 1/n too much: the transform asked for has none" },
    { "ortho", "the orthonormal transform (norm=\"ortho\") instead of the one asked for" },
    { "half", "the factor 2 of the cosine and sine transforms is missing" },
    { "axes-swapped", "the axes are taken in the reverse order" },
    { "pixel-units", "coefficients of vectors of pixels, not of functions: a factor sqrt(points)" },
    { "nodes", "the points are taken at i/(n-1), both ends included, not where they are" },
    { "from-upper", "the plane k = 0 of the half spectrum is made Hermitian before the inverse" },
    { "no-2pi", "the wave number is k where it is 2 pi k (pi k on half waves)" },
    { "no-half-d", "the exponent lacks d/2: nu for nu + d/2" },
    { "deviation", "a deviation is used where the variance belongs, or is given for it" },
    { "variance", "a variance is used where the deviation belongs, as in the noise of DDO's ladder "
      "read as a standard deviation" },
    { "ortho-law", "eigenvalues times the number of points: the law of an orthonormal transform of "
      "pixels, another one on each grid, as in the released multilevelDiff, FDP and HDM" },
    { "unsquared", "the distance in the kernel is not squared: exp(-r/2l^2), a rough field, as in "
      "the \"RBF\" of DiffusionOperators and FunDPS" },
    { "no-two-in-kernel", "the kernel is exp(-r^2/l^2), without the 2" },
    { "nyquist-kept", "Nyquist modes carry noise; they do not belong to a function" },
    { "nyquist-dropped", "Nyquist modes are left out of the convolution" },
    { "nyquist-twice", "the Nyquist mode of the last axis counts twice" },
    { "no-grid-factor", "white noise of pixels is filtered without the factor sqrt(points): the "
      "variance falls as the grid is refined, as in the priors of multilevelDiff" },
    { "words-swapped", "the two words of the key are swapped" },
    { "seven-rounds", "seven rounds of Philox, not ten" },
    { "odd-shift", "on axes of odd length the modes come out one too low: the inverse of fftshift "
      "is ifftshift; as in neuraloperator 1.0 to 2.0" },
    { "low-bins", "an odd number of modes on an even axis is taken one bin too low, as in "
      "neuraloperator before 2.0" },
    { "negative-rows", "the weights of negative modes act one row too high" },
    { "fft-order", "the rows of the weights are taken as 0, 1, .., -1, not in ascending order" },
    { "last-bins", "the last bins of the half spectrum are taken for negative modes: the layer acts "
      "on the highest ones, as in csgm" },
    { "conjugate-weights", "the weights are conjugated" },
    { "channels-swapped", "the weights' channels in and out are swapped" },
    { "no-mirror", "the mirror images of the modes on the last axis are missing: half of the sum" },
    { "no-adjoint", "the gradient has the weights themselves, where their conjugates belong" },
    { "no-transpose", "the gradient does not swap the channels in and out" },
    { "no-temperature", "the scores of attention are not divided by sqrt(d/heads)" },
    { "full-width", "the scores of attention are divided by sqrt(d), where d/heads belongs" },
    { "interleaved", "heads take every so many columns; they are blocks of columns" },
    { "other-axis", "softmax runs over the queries, not over the keys" },
    { "no-weights", "the quadrature weights of the keys are left out" },
    { "after-softmax", "quadrature weights multiply the probabilities, which then do not sum to 1" },
    { "gelu-tanh", "GELU by the tanh formula; it is x Phi(x)" },
    { "ends-included", "coordinates run from 0 to 1 with both ends, linspace(0, 1, n); they are "
      "i/n, as in the original FNO, FFM and multilevelDiff" },
    { "ends-open", "coordinates are i/n; here they include both ends" },
    { "time-small", "time is divided by 1000 once more, as in FFM, whose network then hardly sees "
      "it" },
    { "act-last", "an activation follows the last layer, too" },
    { "act-half", "only the first half of the layers has an activation, as in neuraloperator 0.2" },
    { "position-shift", "positions are one token off: the code takes another token for that of "
      "time, as in FDP's U-ViT" },
    { "sine-first", "the embedding of time has sines before cosines" },
    { "no-skips", "the long skips of the U-ViT are missing" },
    { "reversed-time", "time runs the other way: t is taken as tmax - t" },
    { "no-half-rate", "the factor 1/2 of the drift is missing: exp(-B) for exp(-B/2)" },
    { "integral", "the integral of the rate lacks a factor 1/2: (b1 - b0) t^2 for half of it" },
    { "root-rate", "the noise rate is given as its root, the diffusion coefficient" },
    { "level-off", "levels are counted from 0, so that each has the number of the one before" },
    { "from-zero", "the variance is s(t)^2 - s(0)^2: the exact law of the equation from t = 0" },
    { "noise-as-score", "the predicted noise is given as score, without 1/sigma; as in FFM's DDO" },
    { "sign", "the sign is wrong" },
    { "swapped", "the factors m and sqrt(v) are exchanged" },
    { "other-direction", "the velocity points from data to noise; here from noise to data" },
    { "not-preconditioned", "the score is grad log p, without the covariance in front of it" },
    { "ode-for-sde", "the drift has half the score, which is that of the probability flow" },
    { "sde-for-ode", "the drift has the whole score, which is that of the reverse SDE" },
    { "coefficients-late", "the coefficients are those of the end of the step, not of its begin" },
    { "posterior-variance", "the noise has the posterior variance, not that of the forward step" },
    { "forward-variance", "the noise has the forward step's variance, not the posterior's" },
    { "no-noise", "the noise of the step is missing" },
    { "no-root-2", "the noise lacks a factor sqrt(2): sqrt(h) for sqrt(2h)" },
    { "root-2", "the noise has a factor sqrt(2) too much" },
    { "half-drift", "the drift has half the step" },
    { "no-covariance", "the gradient is not multiplied by the covariance, as in DPS, FunDPS and "
      "DAPS as released: another law on each grid" },
    { "no-quadrature", "the factor 1/n of the integral (the weight of a grid point) is missing" },
    { "extra-quadrature", "the matrix C/n stands where C belongs, next to the noise's variance" },
    { "standard-rule", "steps follow the variance; NCSN's rule is for deviations, and DDO's takes "
      "the square" },
    { "ladder-rule", "steps follow the square of the variance, as DDO's; asked is the scale-free "
      "rule" },
    { "replaced", "observed values are replaced (projection in L2): no other point moves" },
    { "noise-ignored", "the noise of the observation is ignored" },
    { "prior-spread", "the spread is that of the prior" },
    { "no-constant", "the density lacks its constant, m/2 log 2 pi" },
    { "with-self", "pairs of a sample with itself are counted (the V-statistic)" },
    { "root", "the root is given; asked is the square" },
    { "pixel-norm", "norms are sums over pixels, without 1/n: they grow with the grid" },
    { "half-cross", "the term between the two sets counts once, not twice" },
    { "raw-transform", "the spectrum is that of the unnormalised transform, n^2 times as much" },
    { "complex-sum", "complex coefficients are summed before the square: phases are measured, as "
      "in FFM's spectrum" },
    { "no-means", "the difference of the means is left out" },
    { "biased", "covariances have 1/n, not 1/(n-1)" },
    { "fair", "the fair score: pairs over m(m-1), not m^2" },
    { "upside-down", "the answer in reverse order" },
};

static inline const char *fault_text(const char *id)
{
    for (int i = 0; i < COUNT(fault_list); i++)
        if (!strcmp(fault_list[i].id, id)) return fault_list[i].text;
    return NULL;
}

/* say -- more text, which never may be too long: what is said is known. */
static inline void say(text_of *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->s + t->used, t->room - t->used, fmt, ap);
    va_end(ap);
    if (n < 0 || t->used + (size_t)n >= t->room) die(1, "vectors: a text is too long");
    t->used += (size_t)n;
}

/* say_numbers -- , "name": [..] or one number. */
static inline void say_numbers(text_of *t, const char *name, int n, const double *v)
{
    say(t, "%s\"%s\": %s", t->used ? ", " : "", name, n == 1 ? "" : "[");
    for (int i = 0; i < n; i++) say(t, "%s%.17g", i ? ", " : "", v[i]);
    if (n != 1) say(t, "]");
}
static inline void param(casebook *q, const char *name, double v)
{
    say_numbers(&q->params, name, 1, &v);
}
static inline void param_list(casebook *q, const char *name, int n, const int *v)
{
    say(&q->params, "%s\"%s\": [", q->params.used ? ", " : "", name);
    for (int i = 0; i < n; i++) say(&q->params, "%s%d", i ? ", " : "", v[i]);
    say(&q->params, "]");
}
static inline void param_text(casebook *q, const char *name, const char *v)
{
    say(&q->params, "%s\"%s\": \"%s\"", q->params.used ? ", " : "", name, v);
}

/* ---- A group, and a case of it --------------------------------------------------------------- */

/* make_folder -- dir/name, or dir itself, with the folders above it. */
static inline void make_folder(const char *dir, const char *name)
{
    char path[1200];
    size_t n = (size_t)snprintf(path, sizeof path, "%s%s%s", dir, *name ? "/" : "", name);
    if (n >= 1100) die(1, "--out: '%.60s...': name too long", dir);
    for (size_t i = 1; i <= n; i++) {
        char c = path[i];
        if (c != '/' && c) continue;
        path[i] = 0;
        if (mkdir(path, 0777) && errno != EEXIST) die(1, "--out: '%s': %s", path, strerror(errno));
        path[i] = c;
    }
}

/* group_begin -- 1 where this group is wanted. */
static inline int group_begin(casebook *q, const char *name, const char *about)
{
    if (q->only && strcmp(q->only, name)) return 0;
    q->groups++;
    if (!q->dir) {
        printf("%-16s %s\n", name, about);
        return 0;
    }
    q->group = name;
    q->number = 0;
    q->text.used = q->ids.used = 0;
    make_folder(q->dir, name);
    say(&q->text, "{\n\"schema\": \"%s\",\n\"group\": \"%s\",\n\"about\": \"%s\",\n", VECTORS_SCHEMA,
        name, about);
    say(&q->text, "\"version\": \"%s\",\n\"numbers\": \"%s\",\n\"seed\": %" PRIu64 ",\n\"tests\": [",
        FD_VERSION_TEXT, sizeof(fd_real) == 4 ? "float" : "double", q->seed);
    return 1;
}

/* group_end -- the faults that were named, and the file. */
static inline void group_end(casebook *q)
{
    char path[1200];
    const char *between = "";
    say(&q->text, "\n],\n\"notes\": {");
    for (int i = 0; i < COUNT(fault_list); i++) {
        char id[64];
        snprintf(id, sizeof id, " %s ", fault_list[i].id);
        if (!strstr(q->ids.s, id)) continue;
        say(&q->text, "%s\n  \"%s\": \"", between, fault_list[i].id);
        for (const char *s = fault_list[i].text; *s; s++)
            say(&q->text, *s == '"' ? "\\\"" : "%c", *s);
        say(&q->text, "\"");
        between = ",";
    }
    say(&q->text, "\n}\n}\n");
    snprintf(path, sizeof path, "%s/%s.json", q->dir, q->group);
    fd_text_save(q->a.st, path, q->text.s);
    need(q->a.st);
}

/* case_begin -- flags: words with blanks between them; source: paper and equation. */
static inline void case_begin(casebook *q, int result, const char *paper, const char *flags,
                              const char *fmt, ...)
{
    va_list ap;
    q->mem = q->a;
    q->number++;
    q->result = result;
    q->law = q->must_differ = 0;
    q->tol = tol_usual();
    q->ins = q->outs = q->finals = q->drawn = 0;
    q->params = (text_of){ q->params_text, 0, sizeof q->params_text };
    q->params_text[0] = 0;
    snprintf(q->paper, sizeof q->paper, "%s", paper);
    snprintf(q->flags, sizeof q->flags, "%s", flags);
    va_start(ap, fmt);
    vsnprintf(q->what, sizeof q->what, fmt, ap);
    va_end(ap);
}

static inline ptrdiff_t count_of(int nd, const int n[])
{
    ptrdiff_t count = 1;
    for (int i = 0; i < nd; i++) count *= n[i];
    return count;
}

/* put -- a tensor of a case; x is kept by pointer. */
static inline void put(fd_tensor *list, int *count, int most, const char *name, int nd,
                       const int n[], const fd_real *x)
{
    if (*count == most) die(1, "vectors: too many arrays in a case");
    fd_tensor *t = &list[(*count)++];
    memset(t, 0, sizeof *t);
    t->name = name;
    t->nd = nd;
    memcpy(t->n, n, (size_t)nd * sizeof *n);
    t->x = (fd_real *)(uintptr_t)x;
}
static inline void put_in(casebook *q, const char *name, int nd, const int n[], const fd_real *x)
{
    put(q->in, &q->ins, CASE_INS, name, nd, n, x);
}
static inline void put_out(casebook *q, const char *name, int nd, const int n[], const fd_real *x)
{
    put(q->out, &q->outs, CASE_OUTS, name, nd, n, x);
    q->finals = q->outs;
}

/* reals, normals -- numbers of a case: given in double, or random ones of its own. */
static inline fd_real *reals(casebook *q, ptrdiff_t n, const double *x)
{
    fd_real *y = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)x[i];
    return y;
}
static inline double *doubles(casebook *q, ptrdiff_t n)
{
    double *y = fd_new(&q->mem, double, n);
    need(q->mem.st);
    return y;
}
static inline fd_real *normals(casebook *q, ptrdiff_t n)
{
    fd_real *y = fd_raw(&q->mem, fd_real, n);
    fd_rng r = fd_stream(fd_seed(q->seed), (uint32_t)q->group[0] << 8 | (uint32_t)q->group[1],
                         (uint32_t)(q->number << 8 | q->drawn++));
    need(q->mem.st);
    fd_normal(r, n, y);
    return y;
}
static inline void put_in_d(casebook *q, const char *name, int nd, const int n[], const double *x)
{
    put_in(q, name, nd, n, reals(q, count_of(nd, n), x));
}
static inline void put_out_d(casebook *q, const char *name, int nd, const int n[], const double *x)
{
    put_out(q, name, nd, n, reals(q, count_of(nd, n), x));
}

/* put_other -- what the answer `of` would be by another convention (also 1) or by a fault. Left out
 * where it cannot be told from the answer, or is not finite. */
static inline void put_other(casebook *q, int also, const char *id, const char *of, const fd_real *x)
{
    const fd_tensor *y = q->out;
    double most = 0, off = 0;
    while (y < q->out + q->finals && strcmp(y->name, of)) y++;
    if (y == q->out + q->finals || !fault_text(id)) die(1, "vectors: %s of %s is not known", id, of);
    ptrdiff_t n = count_of(y->nd, y->n);
    for (ptrdiff_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)y->x[i]));
        off = fmax(off, fabs((double)x[i] - (double)y->x[i]));
        if (!isfinite((double)x[i])) return;
    }
    if (!(off > 20 * q->tol * most)) return;
    char *name = fd_raw(&q->mem, char, strlen(id) + strlen(of) + 2);
    need(q->mem.st);
    sprintf(name, "%s/%s", id, of);
    q->alternative[q->outs] = also;
    put(q->out, &q->outs, CASE_OUTS, name, y->nd, y->n, x);
    char mark[64];
    snprintf(mark, sizeof mark, " %s ", id);
    if (!strstr(q->ids.s, mark)) say(&q->ids, "%s", mark);
}
static inline void fault(casebook *q, const char *id, const char *of, const double *x)
{
    for (int i = 0; i < q->finals; i++)
        if (!strcmp(q->out[i].name, of))
            put_other(q, 0, id, of, reals(q, count_of(q->out[i].nd, q->out[i].n), x));
}

/* agree -- the library's answer and the plain formula's: a vector is written only where they do. */
static inline void agree(const casebook *q, ptrdiff_t n, const fd_real *x, const double *y)
{
    double most = 0, off = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        most = fmax(most, fabs(y[i]));
        off = fmax(off, fabs((double)x[i] - y[i]));
    }
    if (!(off <= q->tol * most))
        die(1, "vectors: %s, case %d: two computations differ by %.2g of the answer", q->group,
            q->number, off / most);
}

/* ids_say -- "also" or "faults" of a case. */
static inline void ids_say(casebook *q, const char *name, int also)
{
    char seen[2000] = " ";
    const char *between = "";
    say(&q->text, ", \"%s\": [", name);
    for (int i = q->finals; i < q->outs; i++) {
        char mark[80];
        int n = (int)strcspn(q->out[i].name, "/");
        if (q->alternative[i] != also) continue;
        snprintf(mark, sizeof mark, " %.*s ", n, q->out[i].name);
        if (strstr(seen, mark)) continue;
        if (strlen(seen) + strlen(mark) < sizeof seen) strcat(seen, mark);
        say(&q->text, "%s\"%.*s\"", between, n, q->out[i].name);
        between = ", ";
    }
    say(&q->text, "]");
}

static inline void shapes_say(text_of *t, const char *name, int count, const fd_tensor *x)
{
    say(t, ", \"%s\": {", name);
    for (int i = 0; i < count; i++) {
        say(t, "%s\"%s\": [", i ? ", " : "", x[i].name);
        for (int j = 0; j < x[i].nd; j++) say(t, "%s%d", j ? ", " : "", x[i].n[j]);
        say(t, "]");
    }
    say(t, "}");
}

/* case_end -- the files of a case, and its entry in the group. */
static inline void case_end(casebook *q)
{
    static const char *const results[] = { "valid", "acceptable", "invalid" };
    char path[1200], own[CASE_TEXT + 2000], flags[160] = "";
    text_of t = { own, 0, sizeof own };
    fd_tensors in = { .count = q->ins, .tensor = q->in }, out = { .count = q->outs, .tensor = q->out };
    for (const char *s = q->flags; *s; s++)
        snprintf(flags + strlen(flags), sizeof flags - strlen(flags), *s == ' ' ? "\", \"" : "%c", *s);
    say(&q->text, "%s\n{\"case\": %d, \"what\": \"%s\", \"flags\": [%s%s%s], \"source\": \"%s\",\n",
        q->number > 1 ? "," : "", q->number, q->what, *flags ? "\"" : "", flags, *flags ? "\"" : "",
        q->paper);
    say(&q->text, " \"result\": \"%s\", \"compare\": \"%s\", \"tolerance\": %.3g", results[q->result],
        q->law ? "law" : "values", q->tol);
    if (q->result == INVALID) say(&q->text, ", \"must\": \"%s\"", q->must_differ ? "differ" : "refuse");
    say(&q->text, ",\n \"params\": {%s},\n \"input\": \"%s/%03d.npz\"", q->params_text, q->group, q->number);
    shapes_say(&q->text, "inputs", q->ins, q->in);
    say(&q->text, ",\n \"output\": \"%s/%03d.out.npz\"", q->group, q->number);
    shapes_say(&q->text, "outputs", q->finals, q->out);
    ids_say(q, "also", 1);
    ids_say(q, "faults", 0);
    say(&q->text, "}");
    say(&t, "{\"schema\": \"%s\", \"group\": \"%s\", \"case\": %d, \"params\": {%s}", VECTORS_SCHEMA,
        q->group, q->number, q->params_text);
    shapes_say(&t, "inputs", q->ins, q->in);
    if (q->law) say(&t, ", \"outputs\": {\"x\": \"[count, points]\"}");
    else shapes_say(&t, "outputs", q->finals, q->out);
    say(&t, "}\n");
    snprintf(path, sizeof path, "%s/%s/%03d.json", q->dir, q->group, q->number);
    fd_text_save(q->a.st, path, own);
    snprintf(path, sizeof path, "%s/%s/%03d.npz", q->dir, q->group, q->number);
    fd_npz_save(q->a.st, path, &in);
    snprintf(path, sizeof path, "%s/%s/%03d.out.npz", q->dir, q->group, q->number);
    fd_npz_save(q->a.st, path, &out);
    need(q->a.st);
    q->cases++;
    q->arrays += q->ins + q->outs;
}
#endif
