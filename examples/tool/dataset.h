/* dataset.h -- functions of a file, on a grid.
 *
 * data_open finds out how a file is to be read; data_measure takes one pass over its functions,
 * which says whether they can be used and how they are normalised; data_take reads one of them.
 * Only what is small is kept in memory (data_keep): for what is large, memory depends on the size
 * of a function alone. */
#ifndef DATASET_H
#define DATASET_H
#include "build.h"

enum { AXES_NONE = 1, AXES_FIRST, AXES_LAST };                     /* rows of t_axes */
enum { NORMALIZE_NONE = 1, NORMALIZE_SCALE, NORMALIZE_PIXEL };     /* of t_normalize */

static inline ptrdiff_t points_of(const fd_array *f, int from)
{
    ptrdiff_t n = 1;
    for (int i = from; i < f->nd; i++) n *= f->n[i];
    return n;
}

/* extents -- "28x28"; returns where the text ends. */
static inline char *extents(char *text, int nd, const int n[], const char *between)
{
    *text = 0;
    for (int i = 0; i < nd; i++) text += sprintf(text, "%s%d", i ? between : "", n[i]);
    return text;
}

static inline const char *grid_text(const fd_space *s, char text[64])
{
    extents(text, s->nd, s->n, "x");
    return text;
}

/* axes_as -- what a way to read n[nd], the axes of a function, makes of them: the grid and the
 * channels. 0 where that cannot be. */
static inline int axes_as(int axes, int nd, const int n[], shape *g, int *ch)
{
    int grid = nd - (axes != AXES_NONE), first = axes == AXES_FIRST;
    if (grid < 1 || grid > 3) return 0;
    *ch = axes == AXES_NONE ? 1 : first ? n[0] : n[nd - 1];
    g->nd = grid;
    for (int i = 0; i < 3; i++) g->n[i] = i < grid ? n[first + i] : 1;
    return *ch <= CHANNELS;
}

/* axes_read -- the row of t_axes by which a file is read. An axis of 1 to 4 beside longer ones, the
 * second of the file or the last, is hardly one of the grid, but it may be: who has not said is
 * asked. There is nothing to ask where it has one point, where the grid had four axes with it, for
 * pictures, or where a model, k, knows. */
static inline int axes_read(const source *f, const args *o, const kit *k, shape *g, int *ch)
{
    int nd = f->nd - 1 - f->complex, axes = o->axes, most = 0, shortest[4] = { 0 };
    const int *n = f->n + 1;
    char shape_[96], ways[256] = "", *at = ways;
    extents(shape_, f->nd, f->n, ",");
    for (int i = 0; i < f->nd; i++)
        if (f->n[i] < 1) die(1, "%s: it is empty: axis %d has length 0", f->path, i);
    for (int i = 0; i < nd; i++) if (n[i] > most) most = n[i];
    if (nd > 1 && most > 4) shortest[AXES_FIRST] = n[0] <= 4, shortest[AXES_LAST] = n[nd - 1] <= 4;
    int brief = shortest[AXES_FIRST] + shortest[AXES_LAST];
    if (!axes && f->files && nd == 3) axes = AXES_LAST;                /* pictures in colours */
    if (!axes && k && f->nd == 1 + k->s.nd + (k->axes != AXES_NONE)) axes = k->axes;
    if (f->complex) {
        if (axes && axes != AXES_LAST)
            die(2, "--channels: %s holds complex numbers, which are two channels, last", f->path);
        if (brief)
            die(1, "%s: shape (%s): complex numbers in several channels: write real and imaginary "
                "parts as channels of their own", f->path, shape_);
        axes = AXES_LAST;
        nd++;
    } else if (!axes && nd > 0) {
        int one = shortest[AXES_FIRST] ? AXES_FIRST : AXES_LAST;
        if (!brief) axes = nd <= 3 ? AXES_NONE : 0;
        else if (brief == 1 && (nd == 4 || (one == AXES_FIRST ? n[0] : n[nd - 1]) == 1)) axes = one;
        for (int way = AXES_LAST; !axes && way; way--) {
            if (!axes_as(way, nd, n, g, ch)) continue;
            if (brief && way != AXES_NONE && !shortest[way]) continue;
            at += sprintf(at, "%s%s: ", at > ways ? "; " : "", t_axes.rows[way].name);
            if (way != AXES_NONE) at += sprintf(at, "%d channels on ", *ch);
            else at += sprintf(at, "a grid of ");
            at = extents(at, g->nd, g->n, "x");
        }
        if (!axes && *ways)
            die(2, "%s: shape (%s): which axis is that of the channels? --channels %s", f->path,
                shape_, ways);
    }
    if (!axes || !axes_as(axes, nd, n, g, ch))
        die(1, "%s: shape (%s): expected %s, a grid of 1 to 3 axes%s", f->path, shape_,
            t_axes.rows[axes ? axes : AXES_NONE].help,
            axes > AXES_NONE ? " and up to 64 channels" : "");
    return axes;
}

/* normal_plain -- values as they are, bytes as -1 to 1. */
static inline normal normal_plain(int bytes)
{
    normal v = { NORMALIZE_NONE, bytes, { 0 }, { 0 }, NULL };
    for (int c = 0; c < CHANNELS; c++) {
        v.scale[c] = bytes ? 2.0 / 255 : 1;
        v.shift[c] = bytes ? -1 : 0;
    }
    return v;
}

/* data_array -- m functions that are in memory. */
static inline dataset data_array(const char *name, const fd_space *s, int m, fd_real *x)
{
    dataset d;
    memset(&d, 0, sizeof d);
    d.name = name;
    d.s = d.from = *s;
    d.m = d.total = m;
    d.axes = s->ch > 1 ? AXES_FIRST : AXES_NONE;
    d.x = x;
    d.norm = normal_plain(0);
    return d;
}

/* fields -- sum over k components of N(mean_j, Matern): smooth functions about k smooth means. The
 * same functions on every grid, whatever --seed says. */
static inline dataset data_fields(fd_arena *a, const char *text, const args *o, shape g)
{
    spec f = spec_read(&t_fields, "--data", text);
    int k = (int)f.v[1], m = o->limit && o->limit < f.v[0] ? o->limit : (int)f.v[0];
    fd_rng r = fd_seed(2385);
    fd_space s = fd_grid(a, g.nd, g.n, NULL, o->bc, (int)f.v[4]);
    ptrdiff_t size = fd_size(&s);
    fd_real *x = fd_raw(a, fd_real, m * size);
    fd_arena scratch = *a;
    fd_real *mean = fd_raw(&scratch, fd_real, k * size);
    fd_cov *large = fd_cov_matern(&scratch, &s, 1, 0.4, 3.5);
    fd_cov *small = fd_cov_matern(&scratch, &s, f.v[3], f.v[2], 2.5);
    fd_cov_draw(large, fd_stream(r, 'm', 0), 0, k, mean, scratch);
    fd_cov_draw(small, r, 0, m, x, scratch);
    need(a->st);
    for (int i = 0; i < m; i++) {
        const fd_real *mu = mean + fd_index(fd_stream(r, 'k', 0), (uint64_t)i, k) * size;
        for (ptrdiff_t j = 0; j < size; j++) x[i * size + j] += mu[j];
    }
    return data_array("fields", &s, m, x);
}

/* data_open -- functions from a file or built in; a random subset of at most o->limit; on the grid
 * g where given; for the model k, or NULL. usual: the grid of built-in data. Nothing is done to
 * values. */
static inline dataset data_open(fd_arena *a, const char *path, const args *o, const kit *k, shape g,
                                shape usual)
{
    dataset d;
    shape in;
    int ch;
    if (!strncmp(path, "fields", 6) && (!path[6] || path[6] == ':'))
        return data_fields(a, path, o, g.nd ? g : usual);
    memset(&d, 0, sizeof d);
    d.name = path;
    d.file = source_open(a, path);
    need(a->st);
    d.axes = axes_read(&d.file, o, k, &in, &ch);
    if (k && ch != k->s.ch) die(1, "%s: %d channels where the model has %d", path, ch, k->s.ch);
    if (g.nd && g.nd != in.nd)
        die(1, "%s: a grid of %d axes where %d are wanted", path, in.nd, g.nd);
    d.total = d.m = d.file.n[0];
    d.from = fd_grid(a, in.nd, in.n, NULL, o->bc, ch);
    d.s = g.nd ? fd_grid(a, g.nd, g.n, NULL, o->bc, ch) : d.from;
    d.norm = normal_plain(d.file.bytes);
    if (o->limit && o->limit < d.m) {
        d.m = o->limit;
        int *order = fd_raw(a, int, d.m);
        fd_arena scratch = *a;
        int *all = fd_raw(&scratch, int, d.total);
        need(a->st);
        fd_perm(fd_stream(fd_seed(o->seed), 'l', 0), d.total, all);
        memcpy(order, all, (size_t)d.m * sizeof *all);
        d.order = order;
    }
    need(a->st);
    return d;
}

/* data_some -- m of the functions, those that order names. */
static inline dataset data_some(fd_arena *a, const dataset *d, int m, const int *order)
{
    dataset some = *d;
    int *p = fd_raw(a, int, m);
    need(a->st);
    for (int i = 0; i < m; i++) p[i] = d->order ? d->order[order[i]] : order[i];
    some.m = m;
    some.order = p;
    return some;
}

static inline int data_index(const dataset *d, int i) { return d->order ? d->order[i] : i; }

/* data_raw -- the values of function i in the file, [ch][its points]. */
static inline void data_raw(const dataset *d, int i, double *v, fd_arena scratch)
{
    ptrdiff_t size = fd_size(&d->from), n = d->from.points;
    int ch = d->from.ch;
    i = data_index(d, i);
    if (d->x) {
        for (ptrdiff_t j = 0; j < size; j++) v[j] = (double)d->x[i * size + j];
        return;
    }
    double *y = d->axes == AXES_LAST && ch > 1 ? fd_raw(&scratch, double, size) : v;
    if (y) source_doubles(&d->file, i, 1, y, scratch);
    for (int c = 0; y && y != v && c < ch; c++)
        for (ptrdiff_t j = 0; j < n; j++) v[c * n + j] = y[j * ch + c];
}

/* data_take -- function i as a model sees it, [ch][points]. */
static inline void data_take(const dataset *d, int i, fd_real *x, fd_arena scratch)
{
    ptrdiff_t size = fd_size(&d->s), in = fd_size(&d->from);
    if (d->x) {
        memcpy(x, d->x + data_index(d, i) * size, (size_t)size * sizeof *x);
        return;
    }
    double *v = fd_raw(&scratch, double, in);
    int same = !memcmp(d->from.n, d->s.n, sizeof d->s.n);
    fd_real *y = same ? x : fd_raw(&scratch, fd_real, in);
    if (!v || !y) return;
    data_raw(d, i, v, scratch);
    for (ptrdiff_t j = 0; j < in; j++) {
        int c = (int)(j / d->from.points);
        y[j] = (fd_real)(d->norm.scale[c] * v[j] + d->norm.shift[c]);
    }
    if (!same) fd_resample(&d->from, &d->s, 1, y, x, scratch);
    for (ptrdiff_t j = 0; d->norm.center && j < size; j++) x[j] -= d->norm.center[j];
}

/* data_gather -- b functions from the first on. */
static inline fd_real *data_gather(fd_arena *a, const dataset *d, int first, int b)
{
    ptrdiff_t size = fd_size(&d->s);
    fd_real *x = fd_raw(a, fd_real, b * size);
    need(a->st);
    for (int i = 0; i < b; i++) data_take(d, first + i, x + i * size, *a);
    need(a->st);
    return x;
}

/* data_keep -- in memory, if that takes no more than so many bytes. */
static inline void data_keep(fd_arena *a, dataset *d, double room)
{
    if (d->x || (double)d->m * (double)fd_size(&d->s) * sizeof(fd_real) > room) return;
    d->x = data_gather(a, d, 0, d->m);
    d->total = d->m;
    d->order = NULL;
}

/* What a pass finds in a channel: sums of u = (value - mid)/unit, where mid and unit are near the
 * mean and the deviation, so that nothing cancels; the ends of the values; and sums of value 2^-e
 * over those of each binary exponent e, which find what lies far from the rest. */
enum { EXPONENTS = 2200, BELOW = 1100 };
typedef struct {
    double mid, unit, sum, sq, end[2];                      /* least, largest */
    int at[2];                                              /* a function that holds it */
    struct { double n, sum, sq; } by[EXPONENTS];
} tally;

static inline void tally_add(tally *q, double v, int function)
{
    for (int i = 0; i < 2; i++) {
        if (i ? v <= q->end[1] : v >= q->end[0]) continue;
        q->end[i] = v;
        q->at[i] = function;
    }
    int e;
    double part = frexp(v, &e);
    if (v == 0) return;
    e += BELOW;
    q->by[e].n++;
    q->by[e].sum += part;
    q->by[e].sq += part * part;
}

static inline int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* tally_begin -- mid and unit of each channel, by medians over some values of some functions. */
static inline void tally_begin(const dataset *d, tally *q, double *v, fd_arena a)
{
    enum { SOME = 16, VALUES = 256 };
    int ch = d->from.ch, b = d->m < SOME ? d->m : SOME;
    ptrdiff_t n = d->from.points, step = (n + VALUES - 1) / VALUES;
    double *some = fd_raw(&a, double, ch * SOME * VALUES);
    int *count = fd_new(&a, int, ch);
    need(a.st);
    for (int i = 0; i < b; i++) {
        data_raw(d, (int)((long long)i * d->m / b), v, a);
        for (int c = 0; c < ch; c++)
            for (ptrdiff_t j = 0; j < n; j += step)
                if (fabs(v[c * n + j]) < INFINITY)
                    some[c * SOME * VALUES + count[c]++] = v[c * n + j];
    }
    for (int c = 0; c < ch; c++) {
        double *x = some + c * SOME * VALUES, sum = 0;
        int k = count[c];
        q[c].unit = 1;
        q[c].end[0] = INFINITY, q[c].end[1] = -INFINITY;
        if (!k) continue;
        qsort(x, (size_t)k, sizeof *x, by_value);
        q[c].mid = x[k / 2];
        for (int i = 0; i < k; i++) sum += (x[i] = fabs(x[i] / 2 - q[c].mid / 2)) / k;
        qsort(x, (size_t)k, sizeof *x, by_value);
        if (sum > 0) q[c].unit = 2 * fmax(x[k / 2], 1e-6 * sum);
    }
}

/* tally_judge -- where some values lie far from all others. A gap of 8 decades with values of 1e9
 * and more beyond it is an error: the deviation of such data means nothing. It is a line where less
 * than half of the values, all equal, or one in a hundred, lie beyond a gap, and 100 times as far
 * from the mean of the others as these, or where several are equal 20 times. Zeros count to neither
 * side. */
static inline void tally_judge(const dataset *d, const tally *q)
{
    double n = 0, sum = 0, sq = 0, total = 0;              /* of values below 2^last, by 2^last */
    for (int e = 0; e < EXPONENTS; e++) total += q->by[e].n;
    for (int e = 0, last = -1; e < EXPONENTS; e++) {
        double here = q->by[e].n, more = total - n;
        if (!(here > 0)) continue;
        if (last >= 0 && e - last > 2) {
            double mean = sum / n, sd = sqrt(fmax(0, sq / n - mean * mean));
            double least = 1e-7 * fabs(mean), far[2], spread = q->by[e].sq / here;
            double decades = (e - 1 - last) * log10(2);
            spread -= q->by[e].sum / here * q->by[e].sum / here;
            int equal = more == here && spread < 1e-14, i;
            for (i = 0; i < 2; i++) far[i] = fabs(ldexp(q->end[i], BELOW - last) - mean);
            i = far[1] > far[0];
            double times = far[i] / fmax(sd, least);
            int wrong = decades > 8 && fabs(q->end[i]) >= 1e9 && (n >= more || equal);
            int odd = decades <= 8 && sd > least && (equal ? n >= more : n >= 99 * more)
                   && times > (equal && more > 1 ? 20 : 100);
            if (wrong || odd) {
                char text[300];
                snprintf(text, sizeof text, "%.80s: its %s value, %g (function %d; %.0f such), is "
                         "%.2g standard deviations from the mean of the others: a fill value?",
                         d->name, i ? "largest" : "least", q->end[i], q->at[i], more, times);
                if (wrong) die(1, "%s Replace it, or leave such functions out", text);
                puts(text);
                return;
            }
        }
        double up = last < 0 ? 1 : ldexp(1, last - e);
        sum = sum * up + q->by[e].sum;
        sq = sq * up * up + q->by[e].sq;
        n += here;
        last = e;
    }
}

/* data_scales -- mean and deviation of each channel from its tally and sum[], the sums of each
 * point; with a kind the norm of it; then the tally's units are what the model sees. */
static inline void data_scales(dataset *d, tally *q, const double *sum, int kind)
{
    const ptrdiff_t n = d->from.points;
    for (int c = 0; c < d->s.ch; c++) {
        tally *t = &q[c];
        double count = (double)d->m * (double)n, u = t->sum / count, within = t->sq / count;
        double scale, shift;
        if (!d->norm.bytes) tally_judge(d, t);
        d->mid[c] = t->mid + t->unit * u;
        d->sd[c] = t->unit * sqrt(fmax(0, t->sq / count - u * u));
        for (ptrdiff_t k = c * n; k < (c + 1) * n; k++) within -= pow(sum[k] / d->m, 2) / (double)n;
        if (kind != NORMALIZE_NONE) {
            scale = kind == NORMALIZE_SCALE ? d->sd[c] : t->unit * sqrt(fmax(0, within));
            d->norm.scale[c] = scale > 0 ? 1 / scale : 1;
            d->norm.shift[c] = -d->mid[c] * d->norm.scale[c];
        }
        scale = d->norm.scale[c];
        shift = d->norm.shift[c];
        for (int i = 0; i < 2; i++)
            if (!(fabs(scale * t->end[i] + shift) <= 1e30))
                die(1, "%s: function %d holds %g: too large%s", d->name, t->at[i], t->end[i],
                    is_offered("normalize") ? "; --normalize scale" : "");
        t->mid = scale * t->mid + shift;                   /* from u to what the model sees */
        t->unit *= scale;
    }
}

/* data_normalize -- of built-in data, where they are. */
static inline void data_normalize(dataset *d)
{
    const ptrdiff_t n = d->from.points, size = fd_size(&d->from);
    for (ptrdiff_t k = 0; k < d->total * size; k++) {
        ptrdiff_t j = k % size;
        double x = d->norm.scale[j / n] * (double)d->x[k] + d->norm.shift[j / n];
        d->x[k] = (fd_real)(d->norm.center ? x - (double)d->norm.center[j] : x);
    }
}

/* data_measure -- one pass: what is not finite or far from all else; mean and deviation of each
 * channel in the file; norm, as --normalize says, or as `known` has it, of the model that the data
 * go to; mean and variances of the modes of what a model then sees. Built-in data are normalised
 * where they are. */
static inline void data_measure(fd_arena *a, dataset *d, int kind, const normal *known)
{
    const fd_space *from = &d->from, *s = &d->s;
    ptrdiff_t n = from->points, size = fd_size(from), used = fd_size(s);
    int ch = s->ch, same = !memcmp(from->n, s->n, sizeof s->n), most = size > 1 << 16 ? 1 : 16;
    if (!kind) kind = d->norm.bytes ? NORMALIZE_NONE : NORMALIZE_SCALE;
    if (known) d->norm = *known;
    else d->norm.kind = kind;
    d->mean = fd_new(a, fd_real, used);
    d->var = fd_new(a, double, s->modes);
    if (!known && kind == NORMALIZE_PIXEL) d->norm.center = fd_raw(a, fd_real, used);
    fd_arena m = *a;
    tally *q = fd_new(&m, tally, ch);
    double *v = fd_raw(&m, double, size), *sum = fd_new(&m, double, size), begin = now();
    double *sq = fd_new(&m, double, ch * s->modes);
    fd_real *y = fd_raw(&m, fd_real, most * size), *z = same ? y : fd_raw(&m, fd_real, most * used);
    need(a->st);
    tally_begin(d, q, v, m);
    for (int i = 0; i < d->m; i += most) {
        int b = d->m - i < most ? d->m - i : most;
        for (int j = 0; j < b; j++) {
            int at = data_index(d, i + j);
            data_raw(d, i + j, v, m);
            need(a->st);
            for (ptrdiff_t k = 0; k < size; k++) {
                tally *t = &q[k / n];
                if (!(fabs(v[k]) < INFINITY)) die(1, "%s: function %d holds %g", d->name, at, v[k]);
                tally_add(t, v[k], at);
                double u = (v[k] - t->mid) / t->unit;
                t->sum += u;
                t->sq += u * u;
                sum[k] += u;
                y[j * size + k] = (fd_real)u;
            }
        }
        if (!same) fd_resample(from, s, b, y, z, m);
        fd_to_modes(s, b, z, z, m);
        for (ptrdiff_t k = 0; k < b * used; k++) sq[k % used] += (double)z[k] * (double)z[k];
        double spent = now() - begin, done = (double)(i + b) / d->m;
        if (spent > 2) progress("read", i + b, done, -1, (i + b) / spent, spent * (1 / done - 1));
    }
    bar_end();
    data_scales(d, q, sum, known ? NORMALIZE_NONE : kind);
    for (ptrdiff_t k = 0; k < size; k++) y[k] = (fd_real)(sum[k] / d->m);
    if (!same) fd_resample(from, s, 1, y, z, m);
    for (ptrdiff_t k = 0; k < used; k++) {
        const tally *t = &q[k / s->points];
        double x = t->unit * (double)z[k] + t->mid;
        if (!known && d->norm.center) d->norm.center[k] = (fd_real)x;
        d->mean[k] = (fd_real)(d->norm.center ? x - (double)d->norm.center[k] : x);
    }
    fd_to_modes(s, 1, z, z, m);
    need(a->st);
    for (ptrdiff_t k = 0; k < used; k++) {
        double e = sq[k] / d->m - (double)z[k] * (double)z[k];
        d->var[k % s->modes] += pow(q[k / s->modes].unit, 2) * fmax(0, e) / ch;
    }
    if (d->x) data_normalize(d);
}

/* data_say -- the line that says how the functions were read. */
static inline void data_say(const dataset *d, const char *label, const char *model)
{
    static const char *const name[] = { "x", "y, x", "z, y, x" };
    static const char *const as[] = { "", "as they are", "as (x - mean)/sd",
                                      "as (x - mean at each point)/sd" };
    char text[64];
    int ch = d->s.ch, show = ch < 4 ? ch : 4;
    printf("%s%s%d ", label, *label ? ": " : "", d->m);
    if (d->m < d->total) printf("of %d ", d->total);
    printf(d->m > 1 ? "functions " : "function ");
    if (d->axes != AXES_NONE) printf("of %d channel%s ", ch, ch > 1 ? "s" : "");
    printf("on %s (axes: function, %s%s%s), %s", grid_text(&d->from, text),
           d->axes == AXES_FIRST ? "channel, " : "", name[d->s.nd - 1],
           d->axes == AXES_LAST ? ", channel" : "", d->file.type ? d->file.type : "built in");
    if (d->file.complex) printf(" as real and imaginary part");
    for (int j = 0; j < 2; j++) {
        printf(j ? ", sd" : ", mean");
        for (int c = 0; c < show; c++) printf(" %.4g", j ? d->sd[c] : d->mid[c]);
        if (show < ch) printf(" ..");
    }
    if (memcmp(d->from.n, d->s.n, sizeof d->s.n)) printf("; taken to %s", grid_text(&d->s, text));
    if (model) printf("; used as %s has it\n", model);
    else
        printf("; used %s\n", d->norm.bytes && d->norm.kind == NORMALIZE_NONE ? "as -1 to 1"
                                                                              : as[d->norm.kind]);
    fflush(stdout);
}

/* to_file -- b functions [ch][points] back to the values of files. */
static inline void to_file(const normal *v, const fd_space *s, int b, fd_real *x)
{
    ptrdiff_t size = fd_size(s);
    for (ptrdiff_t i = 0; i < b * size; i++) {
        ptrdiff_t j = i % size;
        double y = (double)x[i] + (v->center ? (double)v->center[j] : 0);
        x[i] = (fd_real)((y - v->shift[j / s->points]) / v->scale[j / s->points]);
    }
}

/* functions_save -- b functions as .npy, with the axes that the row of t_axes says. */
static inline void functions_save(fd_arena a, const char *path, const fd_space *s, int axes, int b,
                                  const fd_real *x)
{
    int n[FD_MAXD] = { b }, nd = 1, ch = s->ch;
    ptrdiff_t size = fd_size(s), points = s->points;
    fd_real *y = axes == AXES_LAST && ch > 1 ? fd_raw(&a, fd_real, b * size) : NULL;
    need(a.st);
    if (axes == AXES_FIRST) n[nd++] = ch;
    for (int i = 0; i < s->nd; i++) n[nd++] = s->n[i];
    if (axes == AXES_LAST) n[nd++] = ch;
    for (ptrdiff_t i = 0; y && i < b * size; i++) {
        ptrdiff_t j = i % size;
        y[i - j + j % points * ch + j / points] = x[i];
    }
    fd_npy_save(a.st, path, nd, n, y ? y : x);
    need(a.st);
    wrote(path);
}

#endif
