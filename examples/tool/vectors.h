/* vectors.h -- fd vectors: test vectors for programs of any language, and what makes a case.
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
 * One build writes the same bytes for a seed; other builds differ by rounding. conform.h judges
 * programs by such files, cases_*.h have the cases; conform.md says how they are used. */
#ifndef VECTORS_H
#define VECTORS_H
#include "faults.h"

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

/* say -- appends to a text, whose room is enough for all that is said here. */
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
    q->ids.s[0] = 0;
    make_folder(q->dir, name);
    say(&q->text, "{\n\"schema\": \"%s\",\n\"group\": \"%s\",\n\"about\": \"%s\",\n",
        VECTORS_SCHEMA,
        name, about);
    say(&q->text, "\"version\": \"%s\",\n\"numbers\": \"%s\",\n\"seed\": %" PRIu64 ",\n\"tests\": "
        "[",
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

/* case_begin -- paper: its key and equation, or ""; flags: words with blanks between them. */
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

/* put_other -- what the answer `of` would be by another convention (also 1) or by a fault. */
static inline void put_other(casebook *q, int also, const char *id, const char *of,
                             const fd_real *x)
{
    const fd_tensor *y = q->out;
    while (y < q->out + q->finals && strcmp(y->name, of)) y++;
    if (y == q->out + q->finals || !fault_text(id)) die(1, "vectors: %s of %s is not known", id,
                                                        of);
    char *name = fd_raw(&q->mem, char, strlen(id) + strlen(of) + 2);
    need(q->mem.st);
    sprintf(name, "%s/%s", id, of);
    q->alternative[q->outs] = also;
    put(q->out, &q->outs, CASE_OUTS, name, y->nd, y->n, x);
}

/* difference -- max |x - y| / max |y|; NaN where a number of either is not finite. */
static inline double difference(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double most = 0, off = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        if (!isfinite((double)x[i]) || !isfinite((double)y[i])) return NAN;
        most = fmax(most, fabs((double)y[i]));
        off = fmax(off, fabs((double)x[i] - (double)y[i]));
    }
    return off > 0 ? off / fmax(most, 1e-30) : 0;
}

/* differs -- can the tensor of a fault be told from the answer? -1: it is not finite. */
static inline int differs(const casebook *q, const fd_tensor *x)
{
    const fd_tensor *y = q->out;
    while (strcmp(y->name, strchr(x->name, '/') + 1)) y++;
    double d = difference(count_of(y->nd, y->n), x->x, y->x);
    return isnan(d) ? -1 : d > 20 * q->tol;
}

/* others_sift -- only faults stay that can be told from the answer, with all of their tensors. */
static inline void others_sift(casebook *q)
{
    int kept = q->finals, keep[CASE_OUTS];
    for (int i = q->finals; i < q->outs; i++) {
        size_t n = strcspn(q->out[i].name, "/") + 1;
        int some = 0, wild = 0;
        for (int j = q->finals; j < q->outs; j++) {
            if (strncmp(q->out[j].name, q->out[i].name, n)) continue;
            some |= differs(q, &q->out[j]) > 0, wild |= differs(q, &q->out[j]) < 0;
        }
        keep[i] = some && !wild;
    }
    for (int i = q->finals; i < q->outs; i++) {
        char mark[64];
        if (!keep[i]) continue;
        snprintf(mark, sizeof mark, " %.*s ", (int)strcspn(q->out[i].name, "/"), q->out[i].name);
        if (!strstr(q->ids.s, mark)) say(&q->ids, "%s", mark);
        q->alternative[kept] = q->alternative[i];
        q->out[kept++] = q->out[i];
    }
    q->outs = kept;
}

/* fault -- what the answer `of` would be by a fault, in double; nothing where the case does not ask
 * for `of`. */
static inline void fault(casebook *q, const char *id, const char *of, const double *x)
{
    for (int i = 0; i < q->finals; i++)
        if (!strcmp(q->out[i].name, of))
            put_other(q, 0, id, of, reals(q, count_of(q->out[i].nd, q->out[i].n), x));
}

/* agree -- the library's answer and the plain formula's: a vector is written only where they do. */
static inline void agree(casebook *q, ptrdiff_t n, const fd_real *x, const double *y)
{
    double d = difference(n, x, reals(q, n, y));
    if (!(d <= q->tol))
        die(1, "vectors: %s, case %d: two computations differ by %.2g of the answer", q->group,
            q->number, d);
}

/* kernel_matrix -- K [n][n], the kernel of c between the n points of its line. Since (C g)_i =
 * sum_j K_ij g_j / n, it is n times C of the unit vectors. */
static inline void kernel_matrix(casebook *q, const fd_cov *c, double *k)
{
    const int n = (int)c->s.points;
    fd_arena a = q->mem;
    fd_real *e = fd_new(&a, fd_real, n * n);
    need(a.st);
    for (int i = 0; i < n; i++) e[i * n + i] = 1;
    fd_cov_pow(c, 1, n, e, e, a);
    need(a.st);
    for (int i = 0; i < n * n; i++) k[i] = n * (double)e[i];
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
    others_sift(q);
    text_of t = { own, 0, sizeof own };
    fd_tensors in = { .count = q->ins, .tensor = q->in }, out = { .count = q->outs,
                                                                 .tensor = q->out };
    for (const char *s = q->flags; *s; s++)
        snprintf(flags + strlen(flags), sizeof flags - strlen(flags), *s == ' ' ? "\", \"" : "%c",
                 *s);
    say(&q->text, "%s\n{\"case\": %d, \"what\": \"%s\", \"flags\": [%s%s%s], \"source\": \"%s\",\n",
        q->number > 1 ? "," : "", q->number, q->what, *flags ? "\"" : "", flags, *flags ? "\"" : "",
        q->paper);
    say(&q->text, " \"result\": \"%s\", \"compare\": \"%s\", \"tolerance\": %.3g",
        results[q->result],
        q->law ? "law" : "values", q->tol);
    if (q->result == INVALID) say(&q->text, ", \"must\": \"%s\"", q->must_differ ? "differ"
                                  : "refuse");
    say(&q->text, ",\n \"params\": {%s},\n \"input\": \"%s/%03d.npz\"", q->params_text, q->group,
        q->number);
    shapes_say(&q->text, "inputs", q->ins, q->in);
    say(&q->text, ",\n \"output\": \"%s/%03d.out.npz\"", q->group, q->number);
    shapes_say(&q->text, "outputs", q->finals, q->out);
    ids_say(q, "also", 1);
    ids_say(q, "faults", 0);
    say(&q->text, "}");
    say(&t, "{\"schema\": \"%s\", \"group\": \"%s\", \"case\": %d, \"params\": {%s}",
        VECTORS_SCHEMA,
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
