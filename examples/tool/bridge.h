/* bridge.h -- paths whose end is known: what fd bridge does, for fd.c. */
#ifndef BRIDGE_H
#define BRIDGE_H
#include "plot.h"
#include "posterior.h"

/* ends_of -- the functions of a file on the grid of s, at most n of them; how many. */
static inline int ends_of(fd_arena *a, const char *path, const args *o, const fd_space *s, int n,
                          fd_real **x)
{
    args plain = *o;
    /* the first ones, in the order of the file */
    plain.limit = 0;
    dataset d = data_open(a, path, &plain, NULL, o->grid, o->grid);
    if (d.s.ch != s->ch) die(1, "%s: %d channels, where one is wanted", path, d.s.ch);
    data_measure(a, &d, NORMALIZE_NONE, NULL);
    data_say(&d, "", NULL);
    int m = d.m < n ? d.m : n;
    *x = fd_raw(a, fd_real, m * fd_size(s));
    need(a->st);
    for (int i = 0; i < m; i++) data_take(&d, i, *x + i * fd_size(s), *a);
    return m;
}

/* matching -- what the batches of do_match share: functions at the start of their way, frames of
 * the first `show` of them. */
enum { MATCH_SOME = 16, MATCH_FRAMES = 6 };
typedef struct {
    const kit *k;
    const dataset *d;
    fd_rng r;
    int steps, show;
    fd_real *start, *end, *xi, *states;    /* of a batch; the frames */
} matching;

/* match_frame -- keeps where b functions, of which i is the first, are now. */
static inline void match_frame(const matching *w, int i, int b, int frame, const fd_real *y)
{
    const ptrdiff_t size = fd_size(&w->k->s);
    for (int j = 0; j < b && i + j < w->show; j++)
        memcpy(w->states + ((i + j) * MATCH_FRAMES + frame) * size, y + j * size,
               (size_t)size * sizeof *y);
}

/* match_batch -- where functions i to i + b - 1 end: y. */
static inline void match_batch(const matching *w, int i, int b, fd_real *y, fd_arena a)
{
    const kit *k = w->k;
    const ptrdiff_t size = fd_size(&k->s);
    const int K = w->steps;
    double t[MATCH_SOME];
    pairs_from from = { k, w->start };
    fd_model says = { FD_VELOCITY, pairs_eval, NULL, NULL, &from, NULL };
    for (int j = 0; j < b; j++) data_take(w->d, (i + j) % w->d->m, w->start + j * size, a);
    fd_cov_pow(k->noise, 0, b, w->start, w->start, a);
    memcpy(y, w->start, (size_t)(b * size) * sizeof *y);
    for (int q = 0; q < K && !a.st->code; q++) {
        const double at = (double)q / K, to = q + 1 < K ? (q + 1.) / K : 1;
        for (int f = 0; f < MATCH_FRAMES - 1; f++)
            if (q == f * K / (MATCH_FRAMES - 1)) match_frame(w, i, b, f, y);
        for (int j = 0; j < b; j++) t[j] = at;
        if (k->between.row) {
            fd_interpolant_step(&k->mid, &says, NULL, 0, at, to, b, y, NULL, a);
            continue;
        }
        pairs_eval(&from, &k->s, b, y, t, w->end, a);
        fd_cov_draw(k->noise, fd_stream(w->r, 'w', (uint32_t)q), i, b, w->xi, a);
        if (q + 1 < K) fd_bridge_step(&k->line, at, to, b, y, w->end, w->xi, a);
        else memcpy(y, w->end, (size_t)(b * size) * sizeof *y);
    }
    match_frame(w, i, b, MATCH_FRAMES - 1, y);
}

/* do_match -- where the functions of --from end by a model of fd train --pairs. */
static inline int do_match(args *o)
{
    enum { SHOW = 8 };
    static const char *const no[] = { "to", "operator", "time", "noise", "boundary", "cov" };
    fd_status st;
    fd_arena a = arena_make(o, &st);
    for (int i = 0; i < COUNT(no); i++)
        if (is_given(no[i])) die(2, "--%s: not with --model", no[i]);
    if (!o->from) die(2, "--model: needs --from FILE: the functions to start from");
    const kit *k = kit_on(&a, kit_load(&a, o->model, NULL), o->grid);
    if (!k->between.t)
        die(2, "--model: %s was not trained with --pairs: fd sample draws from it", o->model);
    memcpy(o->bc, k->s.bc, sizeof o->bc);
    dataset d = data_open(&a, o->from, o, k, shape_of(&k->s), shape_of(&k->s));
    data_measure(&a, &d, k->norm0.kind, &k->norm0);
    data_say(&d, "", o->model);
    const ptrdiff_t size = fd_size(&k->s);
    const int n = is_given("n") || d.m > o->n ? o->n : d.m, show = n < SHOW ? n : SHOW;
    matching w = { .k = k, .d = &d, .r = fd_seed(o->seed), .steps = o->steps, .show = show };
    fd_real *x = fd_raw(&a, fd_real, n * size);
    w.start = fd_raw(&a, fd_real, MATCH_SOME * size);
    w.end = fd_raw(&a, fd_real, MATCH_SOME * size);
    w.xi = fd_raw(&a, fd_real, MATCH_SOME * size);
    w.states = fd_raw(&a, fd_real, show * MATCH_FRAMES * size);
    need(&st);
    double begin = now();
    for (int i = 0; i < n; i += MATCH_SOME) {
        const int b = n - i < MATCH_SOME ? n - i : MATCH_SOME;
        match_batch(&w, i, b, x + i * size, a);
        const double spent = now() - begin;
        if (spent > 1)
            progress("sample", i + b, (double)(i + b) / n, -1, (i + b) / spent,
                     (n - i - b) * spent / (i + b));
    }
    need_grid(&st);
    bar_end();
    for (ptrdiff_t i = 0; i < n * size; i++)
        if (!isfinite((double)x[i]))
            die(1, "%s: the ends are not finite: the model is broken", o->model);
    printf("%d functions, %d steps, %.1f s\n", n, o->steps, now() - begin);
    to_file(&k->norm, &k->s, n, x);
    functions_save(a, o->out, &k->s, k->axes, n, x);
    if (o->png) {
        unit(show, MATCH_FRAMES, size, w.states);
        sheet(&st, o->png, &k->s, show * MATCH_FRAMES, MATCH_FRAMES, w.states, 0, 1,
              is_given("map") || !k->norm.bytes ? o->map.row : FD_GRAY, a);
    }
    return finish();
}

/* well_spread -- y_i = sum_j kernel(|i - j|) x_j over the nodes in reach, over its largest
 * value. */
static inline void well_spread(int nodes, int reach, const double *kernel, const double *x,
                               double *y)
{
    double most = 0;
    for (int i = 0; i < nodes; i++) {
        y[i] = 0;
        for (int j = i - reach < 0 ? 0 : i - reach; j <= i + reach && j < nodes; j++)
            y[i] += kernel[abs(i - j)] * x[j];
        most = fmax(most, y[i]);
    }
    for (int i = 0; i < nodes; i++) y[i] /= most;
}

/* well -- the line of do_well, its nodes from `lowest` on, `step` apart; a path goes from one of
 * them to another in K steps of length h and at most `reach` nodes. */
enum { WELL_LINES = 9 };
typedef struct {
    int K, nodes, reach, from, to;
    double h, step, lowest;
    double *kernel, *keep, *b;             /* of Brownian motion; exp(-h Psi); backward [K+1] */
    double *time, *band;                   /* mean and two deviations [3][K+1] */
} well;

/* well_new -- with the density of what comes after, given the node: b, which holds exp(-h Psi) of
 * its own node. */
static inline well well_new(fd_arena *a, int K, double T)
{
    const double h = T / K, wide = 2.6, dx = fmin(.01, sqrt(h) / 8);
    const int nodes = 2 * (int)ceil(wide / dx) + 1, reach = (int)ceil(7 * sqrt(h) / dx);
    well w = { .K = K, .nodes = nodes, .reach = reach, .h = h };
    w.b = fd_new(a, double, (ptrdiff_t)(K + 1) * nodes);
    w.keep = fd_raw(a, double, nodes), w.kernel = fd_raw(a, double, reach + 1);
    w.time = fd_raw(a, double, K + 1), w.band = fd_raw(a, double, 3 * (K + 1));
    need(a->st);
    w.from = (int)lround((wide - 1) / wide * ((nodes - 1) / 2)), w.to = nodes - 1 - w.from;
    w.step = 1. / ((nodes - 1) / 2 - w.from), w.lowest = -w.step * ((nodes - 1) / 2);
    for (int i = 0; i <= reach; i++) w.kernel[i] = exp(-.5 * pow(i * w.step, 2) / h);
    for (int i = 0; i < nodes; i++) {                        /* exp(-h Psi) */
        double y = w.lowest + i * w.step;
        w.keep[i] = exp(-h * (8 * pow(y * (y * y - 1), 2) - 2 * (3 * y * y - 1)));
    }
    w.b[(ptrdiff_t)K * nodes + w.to] = 1;
    for (int k = K - 1; k >= 0; k--) {
        double *at = w.b + (ptrdiff_t)k * nodes, *next = at + nodes;
        for (int j = 0; j < nodes && k + 1 < K; j++) next[j] *= w.keep[j];
        well_spread(nodes, reach, w.kernel, next, at);
    }
    return w;
}

/* well_band -- exact marginals: forward weights times b. */
static inline void well_band(const well *w, double T, fd_arena a)
{
    const int K = w->K, nodes = w->nodes;
    double *f = fd_new(&a, double, 2 * nodes);
    need(a.st);
    f[w->from] = 1;
    for (int k = 0; k <= K; k++) {
        double mass = 0, m = 0, v = 0, *now = f + k % 2 * nodes, *after = f + (k + 1) % 2 * nodes;
        const double *at = w->b + (ptrdiff_t)k * nodes;
        for (int i = 0; i < nodes; i++)
            mass += now[i] * at[i], m += (w->lowest + i * w->step) * now[i] * at[i];
        if (!(mass > 1e-290))
            die(2, "--time: %g is too short to come from -1 to 1: such paths are too rare to be "
                   "computed", T);
        m /= mass;
        for (int i = 0; i < nodes; i++)
            v += pow(w->lowest + i * w->step - m, 2) * now[i] * at[i] / mass;
        for (int e = 0; e < 3; e++) w->band[e * (K + 1) + k] = m + 2 * (e - 1) * sqrt(v);
        w->time[k] = k * w->h;
        if (k == K) break;
        for (int i = 0; i < nodes && k; i++) now[i] *= w->keep[i];
        well_spread(nodes, w->reach, w->kernel, now, after);
    }
}

/* well_path -- one path x[K+1] from the uniform numbers u[K]; line, unless NULL: the same, to be
 * drawn. */
static inline void well_path(const well *w, const fd_real *u, fd_real *x, double *line)
{
    for (int k = 0, at = w->from; k <= w->K; k++) {
        x[k] = (fd_real)(w->lowest + at * w->step);
        if (line) line[k] = w->lowest + at * w->step;
        if (k == w->K) break;
        const double *next = w->b + (ptrdiff_t)(k + 1) * w->nodes;
        const int first = at - w->reach < 0 ? 0 : at - w->reach;
        double sum = 0, part = 0;
        int j = first;
        for (; j <= at + w->reach && j < w->nodes; j++) sum += w->kernel[abs(at - j)] * next[j];
        for (j = first; j + 1 < w->nodes && j < at + w->reach; j++)
            if ((part += w->kernel[abs(at - j)] * next[j]) > (double)u[k] * sum) break;
        at = j;
    }
}

/* well_say -- mean and deviation at three times, exact and of the paths. */
static inline void well_say(const well *w, double T, int n, const fd_real *x)
{
    enum { QUARTERS = 4 };
    const int K = w->K;
    const double *band = w->band;
    printf("%d paths of %d steps on the time %g; exact mean and deviation, and those of the "
           "paths\n", n, K, T);
    for (int q = 1; q < QUARTERS; q++) {
        int k = q * K / QUARTERS;
        double m = 0, v = 0;
        for (int i = 0; i < n; i++) m += (double)x[(ptrdiff_t)i * (K + 1) + k] / n;
        for (int i = 0; i < n; i++) v += pow((double)x[(ptrdiff_t)i * (K + 1) + k] - m, 2) / n;
        printf("  t = %-8.4g %9.5f %9.5f %12.5f %9.5f\n", w->time[k], band[K + 1 + k],
               .5 * (band[2 * (K + 1) + k] - band[K + 1 + k]), m, sqrt(v));
    }
}

/* well_png -- the first of n paths, and the exact mean and deviations. */
static inline void well_png(const char *path, const well *w, int n, const double *line, fd_arena a)
{
    const int points = w->K + 1;
    plot p;
    plot_begin(&p, 900, 600, "paths of the double well from -1 to 1; mean and two deviations", "t",
               NULL, 0, 0);
    for (int i = 0; i < n && i < WELL_LINES; i++)
        plot_line(&p, points, w->time, line + i * points, "", PLOT_SOLID);
    for (int e = 0; e < 3; e++)
        plot_line(&p, points, w->time, w->band + e * points, e ? NULL : "exact", PLOT_DASHED);
    plot_save(a.st, &p, path, a);
    need(a.st);
    wrote(path);
}

/* do_well -- paths of dX = -V'(X) dt + dW, V = (x^2 - 1)^2, from -1 to 1. Relative to Brownian
 * bridges they have the density exp(-int Psi), Psi = (V'^2 - V'')/2: on the nodes of a line that is
 * a Markov chain, whose densities go backward from the end, and the paths are drawn forward with
 * them, exactly. */
static inline int do_well(args *o)
{
    static const char *const no[] = { "from", "to", "operator", "noise", "boundary", "cov", "grid",
                                      "model", "map" };
    fd_status st;
    fd_arena a = arena_make(o, &st);
    for (int i = 0; i < COUNT(no); i++)
        if (is_given(no[i])) die(2, "--%s: not with --double-well", no[i]);
    const int K = is_given("steps") ? o->steps : 128, n = o->n;
    const double T = is_given("time") ? o->time : 4;
    if (K < 2) die(2, "--steps: at least 2 with --double-well");
    if (T / K > .2)
        die(2, "--steps: %d steps are too long on the time %g: at least %.0f", K, T, ceil(T / .2));
    const well w = well_new(&a, K, T);
    fd_real *x = fd_raw(&a, fd_real, (ptrdiff_t)n * (K + 1)),
        *u = fd_raw(&a, fd_real, (ptrdiff_t)n * K);
    double *line = fd_raw(&a, double, (ptrdiff_t)WELL_LINES * (K + 1));
    need(&st);
    well_band(&w, T, a);
    fd_uniform(fd_stream(fd_seed(o->seed), 'u', 0), (ptrdiff_t)n * K, u);
    for (ptrdiff_t i = 0; i < n; i++)
        well_path(&w, u + i * K, x + i * (K + 1), i < WELL_LINES ? line + i * (K + 1) : NULL);
    well_say(&w, T, n, x);
    fd_npy_save(&st, o->out, 2, (int[]){ n, K + 1 }, x);
    need(&st);
    wrote(o->out);
    if (o->png) well_png(o->png, &w, n, line, a);
    return finish();
}

/* ends_seen -- the ends that values of a file lead to; q gets the observations. Says what it costs
 * to go there. */
static inline void ends_seen(fd_arena *a, problem *q, const args *o, const fd_linear *l, fd_rng r,
                             int n, const fd_real *x, fd_real *end)
{
    obs_csv(a, q, o->to, o->noise);
    const int noisy = q->o.sd > 0 || q->o.each;
    fd_rng ends_r = fd_stream(r, 'e', 0);
    fd_bridge_end(l, 0, &q->o, q->y, &ends_r, 0, n, x, end, *a);
    need_grid(a->st);
    printf("%d values of the end%s\n", q->o.m, noisy ? "" : ", without noise");
    if (!noisy) return;
    printf("least cost of a control that leads there, and of what is left at the end: %.6g\n",
           fd_control_value(l, 0, &q->o, q->y, x, *a));
    /* Euler's chain may have no finite variance */
    fd_status own = *a->st;
    fd_arena room = *a;
    room.st = &own;
    double euler = fd_control_value(l, o->steps, &q->o, q->y, x, room);
    if (isfinite(euler))
        printf("under Euler with %d steps no control costs less than %.6g\n", o->steps, euler);
}

/* ends_given -- the ends of a file of functions. Says what they cost, and whether the cost is one
 * of functions. */
static inline void ends_given(fd_arena *a, const problem *q, const args *o, const fd_linear *l,
                              int n, const fd_real *x, fd_real *end)
{
    const ptrdiff_t size = fd_size(&q->s);
    double upper, cost;
    fd_real *ends = NULL;
    int to = ends_of(a, o->to, o, &q->s, n, &ends);
    for (int i = 0; i < n; i++)
        memcpy(end + i * size, ends + i % to * size, (size_t)size * sizeof *end);
    fd_cov_pow(l->noise, 0, n, end, end, *a);
    cost = fd_bridge_cost(l, x, end, &upper, *a);
    need(a->st);
    printf("cost of the end, in the Cameron-Martin norm of the law of X_T: %.6g, of it in the "
           "upper half of the waves %.3g\n", cost, upper);
    if (upper > .2 * cost)
        printf("that part grows with the grid: such an end is none that a path of functions "
               "has; smoother ends, or rougher noise\n");
}

/* bridge_png -- on a line each path with time downwards, else a row of frames. */
static inline void bridge_png(const args *o, const fd_space *s, int n, const fd_real *path,
                              fd_arena a)
{
    enum { LINES = 4, SHOW = 6, FRAMES = 8 };
    const ptrdiff_t size = fd_size(s), frames = o->steps + 1;
    double lo, hi;
    int show = s->nd == 1 ? LINES : SHOW;
    if (show > n) show = n;
    range(show * frames * size, path, &lo, &hi);
    if (s->nd == 1) {
        fd_space plane = fd_grid(&a, 2, (int[]){ (int)frames, s->n[0] }, NULL, NULL, 1);
        sheet(a.st, o->png, &plane, show, show, path, lo, hi, o->map.row, a);
        return;
    }
    fd_real *some = fd_raw(&a, fd_real, show * FRAMES * size);
    need(a.st);
    for (int i = 0; i < show * FRAMES; i++)
        memcpy(some + i * size,
               path + (i / FRAMES * frames + i % FRAMES * o->steps / (FRAMES - 1)) * size,
               (size_t)size * sizeof *some);
    sheet(a.st, o->png, s, show * FRAMES, FRAMES, some, lo, hi, o->map.row, a);
}

static inline int do_bridge(args *o)
{
    fd_status st;
    if (o->well) return do_well(o);
    if (o->model) return do_match(o);
    fd_arena a = arena_make(o, &st);
    problem q = { .k = NULL };
    if (!o->grid.nd) die(2, "needs --grid");
    if (!o->to) die(2, "needs --to: a file of functions, or points.csv with columns x, value");
    q.s = fd_grid(&a, o->grid.nd, o->grid.n, NULL, o->bc, 1);
    need(&st);
    fd_cov *noise = cov_build(&a, &q.s, &o->cov, NULL, 0);
    spec_need(&st, "cov");
    fd_linear l = fd_linear_heat(&a, noise, o->heat.v[0], o->heat.v[1], o->time);
    spec_need(&st, "operator");
    const ptrdiff_t size = fd_size(&q.s), frames = o->steps + 1;
    const int n = o->n;
    fd_real *starts = NULL, *x = fd_raw(&a, fd_real, n * size);
    fd_real *end = fd_raw(&a, fd_real, n * size), *path = fd_raw(&a, fd_real, n * frames * size);
    need(&st);
    int from = o->from ? ends_of(&a, o->from, o, &q.s, n, &starts) : 0;
    fd_rng r = fd_seed(o->seed);
    for (int i = 0; i < n; i++) {
        if (from) memcpy(x + i * size, starts + i % from * size, (size_t)size * sizeof *x);
        else memset(x + i * size, 0, (size_t)size * sizeof *x);
    }
    /* modes without noise stand still: they start at 0 */
    fd_cov_pow(noise, 0, n, x, x, a);
    need(&st);
    if (read_ends(o->to, ".csv")) ends_seen(&a, &q, o, &l, r, n, x, end);
    else ends_given(&a, &q, o, &l, n, x, end);
    fd_bridge_path(&l, o->steps, r, 0, n, x, end, path, a);
    need(&st);
    int shape_of[FD_MAXD] = { n, (int)frames, 1, 1, 1 };
    for (int i = 0; i < q.s.nd; i++) shape_of[2 + i] = q.s.n[i];
    printf("%d paths of %d steps on the time %g\n", n, o->steps, o->time);
    fd_npy_save(&st, o->out, 2 + q.s.nd, shape_of, path);
    need(&st);
    wrote(o->out);
    if (o->png) bridge_png(o, &q.s, n, path, a);
    return finish();
}
#endif
