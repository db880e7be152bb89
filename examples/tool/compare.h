/* compare.h -- the answer of a program beside those that fd vectors wrote: right, right by another
 * convention, or wrong in a way that is known. */
#ifndef COMPARE_H
#define COMPARE_H
#include "client.h"
#include "laws.h"

/* ---- Comparison ------------------------------------------------------------------------------ */

enum { PASSED, ACCEPTED, FAILED, SKIPPED, ENDS };
enum { MOST_IDS = 64 };
typedef struct { char id[MOST_IDS][80]; int count[MOST_IDS], ids; } hints;
typedef struct {
    fd_arena a;
    const char *dir, *cmd, *work;
    const value *test;                         /* the case's entry */
    double timeout, least, tol;                /* tol: of the case; least: at least */
    int end, late;                             /* late: cases in a row without an answer */
    double off;                                /* of the worst output, in parts of the answer */
    char why[600];
    hints found;                               /* of the case */
} trial;

static inline void hint_add(hints *h, const char *id)
{
    int i = 0;
    while (i < h->ids && strcmp(h->id[i], id)) i++;
    if (i == MOST_IDS) return;
    if (i == h->ids) snprintf(h->id[h->ids++], sizeof h->id[0], "%s", id), h->count[i] = 0;
    h->count[i]++;
}

static inline const char *shape_text(char text[120], const fd_tensor *x)
{
    if (x->nd) extents(text, x->nd, x->n, "x");
    else strcpy(text, "one number");
    return text;
}

static inline int same_shape(const fd_tensor *x, const fd_tensor *y)
{
    if (!x->nd && count_of(y->nd, y->n) == 1) return 1;             /* numpy's scalars */
    return x->nd == y->nd && !memcmp(x->n, y->n, (size_t)x->nd * sizeof *x->n);
}

/* matches -- is all that the program says what `id` would say ("": the answer)? */
static inline int matches(const trial *q, const fd_tensors *said, const fd_tensors *known,
                          const char *id)
{
    char name[160];
    for (int i = 0; i < known->count; i++) {
        const fd_tensor *y = &known->tensor[i], *own;
        if (strchr(y->name, '/')) continue;
        snprintf(name, sizeof name, "%s/%s", id, y->name);
        own = *id ? fd_tensor_find(known, name) : NULL;
        const fd_tensor *x = fd_tensor_find(said, y->name);
        if (!(difference(count_of(y->nd, y->n), x->x, (own ? own : y)->x) <= q->tol)) return 0;
    }
    return 1;
}

/* factor -- adds to q->why that x is the answer y times a number, where it is. */
static inline void factor(trial *q, const fd_tensor *x, const fd_tensor *y)
{
    double xy = 0, yy = 0, most = 0, off = 0;
    ptrdiff_t n = count_of(y->nd, y->n);
    for (ptrdiff_t i = 0; i < n; i++) {
        xy += (double)x->x[i] * (double)y->x[i];
        yy += (double)y->x[i] * (double)y->x[i];
    }
    if (n < 3 || !(yy > 0) || !(fabs(xy) > 0)) return;
    for (ptrdiff_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x->x[i]));
        off = fmax(off, fabs((double)x->x[i] - xy / yy * (double)y->x[i]));
    }
    /* a factor next to 1 says nothing where much of the difference stays */
    if (off <= 10 * q->tol * most && off < .2 * fabs(xy / yy - 1) * most) {
        size_t at = strlen(q->why);
        snprintf(q->why + at, sizeof q->why - at, "; it is the answer times %.6g", xy / yy);
    }
}

static inline int not_finite(trial *q, const fd_tensor *x)
{
    for (ptrdiff_t i = 0; i < count_of(x->nd, x->n); i++)
        if (!isfinite((double)x->x[i])) {
            snprintf(q->why, sizeof q->why, "%s has NaN or infinity, at entry %td", x->name, i);
            return 1;
        }
    return 0;
}

/* said_wrong -- what cannot be compared at all: missing, of another dims, not finite. */
static inline int said_wrong(trial *q, const fd_tensors *said, const fd_tensors *known)
{
    for (int i = 0; i < known->count; i++) {
        const fd_tensor *y = &known->tensor[i], *x;
        char want[120], got[120];
        if (strchr(y->name, '/')) continue;
        x = fd_tensor_find(said, y->name);
        if (!x) {
            for (int j = 0; j < said->others; j++)
                if (!strcmp(said->other[j].name, y->name)) x = &said->other[j];
            const char *other = said->count ? said->tensor[0].name : "";
            snprintf(q->why, sizeof q->why, "its output has no array '%s'%s%s%s", y->name,
                     x ? " of real numbers, but " : said->count && !*other
                     ? ": it is one array without a name, as numpy.save writes; numpy.savez(.., "
                       "name=..)" : *other ? ", but '" : "", x ? x->type : other,
                     !x && *other ? "'" : "");
            return 1;
        }
        if (!same_shape(x, y)) {
            int last = y->nd - 1, short_by = x->nd == y->nd && last >= 0 && y->n[last] % 2
                     && x->n[last] == y->n[last] - 1;
            snprintf(q->why, sizeof q->why, "%s is %s, not %s%s", y->name, shape_text(got, x),
                     shape_text(want, y),
                     short_by ? ": an inverse real transform must be told how many points there are"
                     : "");
            return 1;
        }
        if (not_finite(q, x)) return 2;
    }
    return 0;
}

/* compare_values -- the verdict on an answer. */
static inline void compare_values(trial *q, const fd_tensors *said, const fd_tensors *known,
                                  int result)
{
    static const char *const lists[] = { "also", "faults" };
    char id[80];
    int also = 0, wrong = said_wrong(q, said, known);
    q->end = FAILED;
    if (result == INVALID) {
        char must[16];
        int refuse = !strcmp(value_text(value_get(q->test, "must"), must, sizeof must), "refuse");
        if (wrong == 2) q->end = PASSED;
        else if (refuse) snprintf(q->why, sizeof q->why, "it gives an answer where there is none: "
                                  "it should refuse");
        else if (wrong) return;
        else if (matches(q, said, known, "")) snprintf(q->why, sizeof q->why,
                                                       "it gives the wrong answer");
        else q->end = PASSED;
        return;
    }
    if (wrong) return;
    if (matches(q, said, known, "")) q->end = PASSED;
    for (int l = 0; l < 2; l++) {
        const value *s, *list = value_get(q->test, lists[l]);
        for (int i = 0; (s = value_item(list, i)) != NULL; i++)
            if (matches(q, said, known, value_text(s, id, sizeof id))) {
                also |= !l;
                hint_add(&q->found, id);
            }
    }
    if (q->end == PASSED) return;
    if (also && result == ACCEPTABLE) {
        q->end = ACCEPTED;
        return;
    }
    for (int i = 0; i < known->count; i++) {
        const fd_tensor *y = &known->tensor[i], *x = strchr(y->name, '/') ? NULL
            : fd_tensor_find(said, y->name);
        double d = x ? difference(count_of(y->nd, y->n), x->x, y->x) : 0;
        if (!x || d <= q->off || d <= q->tol) continue;
        q->off = d;
        snprintf(q->why, sizeof q->why, "%s differs by %.3g of its size", y->name, d);
        factor(q, x, y);
    }
}

/* compare_law -- of `count` functions of their own: variances of the modes by wave, means. */
static inline void compare_law(trial *q, const fd_tensors *said, const fd_tensors *known)
{
    const value *params = value_get(q->test, "params"), *list = value_get(params, "n"), *s;
    char word[40], id[80], name[120], want[120], got[120];
    int n[FD_MAXD] = { 0 }, nd = 0, count = (int)value_number(value_get(params, "count"), 0),
        bc = 0;
    const fd_tensor *x = fd_tensor_find(said, "x"), *lam = fd_tensor_find(known, "lam");
    fd_arena a = q->a;
    q->end = FAILED;
    for (; nd < 3 && (s = value_item(list, nd)) != NULL; nd++) n[nd + 1] = (int)value_number(s, 0);
    n[0] = count;
    value_text(value_get(params, "boundary"), word, sizeof word);
    while (bc < FD_MIXED && strcmp(t_boundary.rows[bc].name, word)) bc++;
    if (!x || !lam) {
        snprintf(q->why, sizeof q->why, "its output has no array 'x'");
        return;
    }
    if (x->nd != nd + 1 || memcmp(x->n, n, (size_t)(nd + 1) * sizeof *n)) {
        fd_tensor meant = { .nd = nd + 1, .n = { n[0], n[1], n[2], n[3] } };
        snprintf(q->why, sizeof q->why, "x is %s, not %s", shape_text(got, x),
                 shape_text(want, &meant));
        return;
    }
    if (not_finite(q, x)) return;
    fd_space g = fd_grid(&a, nd, n + 1, NULL, (int[]){ bc, bc, bc }, 1);
    doubt v = law_judge(&g, count, x->x, lam->x, a);
    if (a.st->code || g.modes != count_of(lam->nd, lam->n)) return;
    if (v.p >= 1e-6) {
        q->end = PASSED;
        return;
    }
    snprintf(q->why, sizeof q->why, "not this law: p = %.2g, by %s", v.p, v.what);
    list = value_get(q->test, "faults");
    for (int i = 0; (s = value_item(list, i)) != NULL; i++) {
        snprintf(name, sizeof name, "%s/lam", value_text(s, id, sizeof id));
        const fd_tensor *other = fd_tensor_find(known, name);
        if (other && law_judge(&g, count, x->x, other->x, a).p >= 1e-6) hint_add(&q->found, id);
    }
}
#endif
