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

/* do_match -- where the functions of --from end by a model of fd train --pairs. */
static inline int do_match(args *o)
{
    enum { SOME = 16, SHOW = 8, FRAMES = 6 };
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
    const int n = is_given("n") || d.m > o->n ? o->n : d.m, K = o->steps,
        show = n < SHOW ? n : SHOW;
    fd_rng r = fd_seed(o->seed);
    fd_real *x = fd_raw(&a, fd_real, n * size), *start = fd_raw(&a, fd_real, SOME * size);
    fd_real *end = fd_raw(&a, fd_real, SOME * size), *xi = fd_raw(&a, fd_real, SOME * size);
    fd_real *states = fd_raw(&a, fd_real, show * FRAMES * size);
    need(&st);
    double begin = now(), t[SOME];
    for (int i = 0; i < n; i += SOME) {
        const int b = n - i < SOME ? n - i : SOME;
        fd_real *y = x + i * size;
        pairs_from from = { k, start };
        fd_model says = { FD_VELOCITY, pairs_eval, NULL, NULL, &from, NULL };
        for (int j = 0; j < b; j++) data_take(&d, (i + j) % d.m, start + j * size, a);
        fd_cov_pow(k->noise, 0, b, start, start, a);
        memcpy(y, start, (size_t)(b * size) * sizeof *y);
        for (int q = 0; q < K && !st.code; q++) {
            const double at = (double)q / K, to = q + 1 < K ? (q + 1.) / K : 1;
            for (int f = 0; f < FRAMES - 1 && i < show; f++)
                for (int j = 0; j < b && i + j < show && q == f * K / (FRAMES - 1); j++)
                    memcpy(states + ((i + j) * FRAMES + f) * size, y + j * size,
                           (size_t)size * sizeof *y);
            for (int j = 0; j < b; j++) t[j] = at;
            if (k->between.row) {
                fd_interpolant_step(&k->mid, &says, NULL, 0, at, to, b, y, NULL, a);
                continue;
            }
            pairs_eval(&from, &k->s, b, y, t, end, a);
            fd_cov_draw(k->noise, fd_stream(r, 'w', (uint32_t)q), i, b, xi, a);
            if (q + 1 < K) fd_bridge_step(&k->line, at, to, b, y, end, xi, a);
            else memcpy(y, end, (size_t)(b * size) * sizeof *y);
        }
        const double spent = now() - begin;
        if (spent > 1)
            progress("sample", i + b, (double)(i + b) / n, -1, (i + b) / spent,
                     (n - i - b) * spent / (i + b));
        for (int j = 0; j < b && i + j < show; j++)
            memcpy(states + ((i + j + 1) * FRAMES - 1) * size, y + j * size,
                   (size_t)size * sizeof *y);
    }
    need_grid(&st);
    bar_end();
    for (ptrdiff_t i = 0; i < n * size; i++)
        if (!isfinite((double)x[i]))
            die(1, "%s: the ends are not finite: the model is broken", o->model);
    printf("%d functions, %d steps, %.1f s\n", n, K, now() - begin);
    to_file(&k->norm, &k->s, n, x);
    functions_save(a, o->out, &k->s, k->axes, n, x);
    if (o->png) {
        unit(show, FRAMES, size, states);
        sheet(&st, o->png, &k->s, show * FRAMES, FRAMES, states, 0, 1,
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

/* do_well -- paths of dX = -V'(X) dt + dW, V = (x^2 - 1)^2, from -1 to 1. Relative to Brownian
 * bridges they have the density exp(-int Psi), Psi = (V'^2 - V'')/2: on the nodes of a line that is
 * a Markov chain, whose densities go backward from the end, and the paths are drawn forward with
 * them, exactly. */
static inline int do_well(args *o)
{
    enum { QUARTERS = 4, LINES = 9 };
    static const char *const no[] = { "from", "to", "operator", "noise", "boundary", "cov", "grid",
                                      "model", "map" };
    fd_status st;
    fd_arena a = arena_make(o, &st);
    for (int i = 0; i < COUNT(no); i++)
        if (is_given(no[i])) die(2, "--%s: not with --double-well", no[i]);
    const int K = is_given("steps") ? o->steps : 128, n = o->n;
    const double T = is_given("time") ? o->time : 4, h = T / K, wide = 2.6;
    if (K < 2) die(2, "--steps: at least 2 with --double-well");
    if (h > .2)
        die(2, "--steps: %d steps are too long on the time %g: at least %.0f", K, T, ceil(T / .2));
    const double dx = fmin(.01, sqrt(h) / 8);
    const int nodes = 2 * (int)ceil(wide / dx) + 1, reach = (int)ceil(7 * sqrt(h) / dx);
    double *b = fd_new(&a, double, (ptrdiff_t)(K + 1) * nodes), *f = fd_new(&a, double, 2 * nodes);
    double *keep = fd_raw(&a, double, nodes), *kernel = fd_raw(&a, double, reach + 1),
        *time = fd_raw(&a, double, K + 1);
    double *band = fd_raw(&a, double, 3 * (K + 1)),
        *line = fd_raw(&a, double, (ptrdiff_t)LINES * (K + 1));
    fd_real *x = fd_raw(&a, fd_real, (ptrdiff_t)n * (K + 1)),
        *u = fd_raw(&a, fd_real, (ptrdiff_t)n * K);
    need(&st);
    const int from = (int)lround((wide - 1) / wide * ((nodes - 1) / 2)), to = nodes - 1 - from;
    const double step = 1. / ((nodes - 1) / 2 - from), lowest = -step * ((nodes - 1) / 2);
    for (int i = 0; i <= reach; i++) kernel[i] = exp(-.5 * pow(i * step, 2) / h);
    for (int i = 0; i < nodes; i++) {                        /* exp(-h Psi) */
        double y = lowest + i * step;
        keep[i] = exp(-h * (8 * pow(y * (y * y - 1), 2) - 2 * (3 * y * y - 1)));
    }
    b[(ptrdiff_t)K * nodes + to] = 1;
    /* b_k(i): of what comes after, given node i */
    for (int k = K - 1; k >= 0; k--) {
        double *at = b + (ptrdiff_t)k * nodes, *next = at + nodes;
        for (int j = 0; j < nodes && k + 1 < K; j++) next[j] *= keep[j];
        well_spread(nodes, reach, kernel, next, at);
    }
    /* marginals: forward weights times b, which holds exp(-h Psi) of its own node */
    f[from] = 1;
    for (int k = 0; k <= K; k++) {
        double mass = 0, m = 0, v = 0, *now = f + k % 2 * nodes, *after = f + (k + 1) % 2 * nodes;
        const double *at = b + (ptrdiff_t)k * nodes;
        for (int i = 0; i < nodes; i++)
            mass += now[i] * at[i], m += (lowest + i * step) * now[i] * at[i];
        if (!(mass > 1e-290))
            die(2, "--time: %g is too short to come from -1 to 1: such paths are too rare to be "
                   "computed", T);
        m /= mass;
        for (int i = 0; i < nodes; i++) v += pow(lowest + i * step - m, 2) * now[i] * at[i] / mass;
        for (int e = 0; e < 3; e++) band[e * (K + 1) + k] = m + 2 * (e - 1) * sqrt(v);
        time[k] = k * h;
        if (k == K) break;
        for (int i = 0; i < nodes && k; i++) now[i] *= keep[i];
        well_spread(nodes, reach, kernel, now, after);
    }
    fd_uniform(fd_stream(fd_seed(o->seed), 'u', 0), (ptrdiff_t)n * K, u);
    for (int i = 0; i < n; i++)
        for (int k = 0, at = from; k <= K; k++) {
            x[(ptrdiff_t)i * (K + 1) + k] = (fd_real)(lowest + at * step);
            if (i < LINES) line[i * (K + 1) + k] = lowest + at * step;
            if (k == K) break;
            const double *next = b + (ptrdiff_t)(k + 1) * nodes;
            const int first = at - reach < 0 ? 0 : at - reach;
            double sum = 0, part = 0;
            int j = first;
            for (; j <= at + reach && j < nodes; j++) sum += kernel[abs(at - j)] * next[j];
            for (j = first; j + 1 < nodes && j < at + reach; j++)
                if ((part += kernel[abs(at - j)] * next[j]) > (double)u[(ptrdiff_t)i * K + k] * sum)
                    break;
            at = j;
        }
    printf("%d paths of %d steps on the time %g; exact mean and deviation, and those of the "
           "paths\n", n, K, T);
    for (int q = 1; q < QUARTERS; q++) {
        int k = q * K / QUARTERS;
        double m = 0, v = 0;
        for (int i = 0; i < n; i++) m += (double)x[(ptrdiff_t)i * (K + 1) + k] / n;
        for (int i = 0; i < n; i++) v += pow((double)x[(ptrdiff_t)i * (K + 1) + k] - m, 2) / n;
        printf("  t = %-8.4g %9.5f %9.5f %12.5f %9.5f\n", time[k], band[K + 1 + k],
               .5 * (band[2 * (K + 1) + k] - band[K + 1 + k]), m, sqrt(v));
    }
    fd_npy_save(&st, o->out, 2, (int[]){ n, K + 1 }, x);
    need(&st);
    wrote(o->out);
    if (o->png) {
        plot p;
        plot_begin(&p, 900, 600, "paths of the double well from -1 to 1; mean and two deviations",
                   "t", NULL, 0, 0);
        for (int i = 0; i < n && i < LINES; i++)
            plot_line(&p, K + 1, time, line + i * (K + 1), "", PLOT_SOLID);
        for (int e = 0; e < 3; e++)
            plot_line(&p, K + 1, time, band + e * (K + 1), e ? NULL : "exact", PLOT_DASHED);
        plot_save(&st, &p, o->png, a);
        need(&st);
        wrote(o->png);
    }
    return finish();
}

static inline int do_bridge(args *o)
{
    enum { LINES = 4, SHOW = 6, FRAMES = 8 };
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
    const int n = o->n, values = read_ends(o->to, ".csv");
    fd_real *starts = NULL, *ends = NULL, *x = fd_raw(&a, fd_real, n * size), *end = fd_raw(&a,
        fd_real, n * size);
    fd_real *path = fd_raw(&a, fd_real, n * frames * size);
    need(&st);
    int from = o->from ? ends_of(&a, o->from, o, &q.s, n, &starts) : 0, to = 0;
    fd_rng r = fd_seed(o->seed);
    for (int i = 0; i < n; i++) {
        if (from) memcpy(x + i * size, starts + i % from * size, (size_t)size * sizeof *x);
        else memset(x + i * size, 0, (size_t)size * sizeof *x);
    }
    /* modes without noise stand still: they start at 0 */
    fd_cov_pow(noise, 0, n, x, x, a);
    need(&st);
    if (values) {
        obs_csv(&a, &q, o->to, o->noise);
        fd_rng ends_r = fd_stream(r, 'e', 0);
        fd_bridge_end(&l, 0, &q.o, q.y, &ends_r, 0, n, x, end, a);
        need_grid(&st);
        printf("%d values of the end%s\n", q.o.m, q.o.sd > 0 || q.o.each ? "" : ", without noise");
        if (q.o.sd > 0 || q.o.each)
            printf("least cost of a control that leads there, and of what is left at the end: "
                   "%.6g\n", fd_control_value(&l, 0, &q.o, q.y, x, a));
        /* Euler's chain may have no finite variance */
        fd_status own = st;
        fd_arena room = a;
        room.st = &own;
        double euler = q.o.sd > 0 || q.o.each ? fd_control_value(&l, o->steps, &q.o, q.y, x, room)
            : NAN;
        if (isfinite(euler))
            printf("under Euler with %d steps no control costs less than %.6g\n", o->steps, euler);
    } else {
        double upper, cost;
        to = ends_of(&a, o->to, o, &q.s, n, &ends);
        for (int i = 0; i < n; i++) memcpy(end + i * size, ends + i % to * size,
                                           (size_t)size * sizeof *end);
        fd_cov_pow(noise, 0, n, end, end, a);
        cost = fd_bridge_cost(&l, x, end, &upper, a);
        need(&st);
        printf("cost of the end, in the Cameron-Martin norm of the law of X_T: %.6g, of it in the "
               "upper half of the waves %.3g\n", cost, upper);
        if (upper > .2 * cost)
            printf("that part grows with the grid: such an end is none that a path of functions "
                   "has; smoother ends, or rougher noise\n");
    }
    fd_bridge_path(&l, o->steps, r, 0, n, x, end, path, a);
    need(&st);
    int shape_of[FD_MAXD] = { n, (int)frames, 1, 1, 1 };
    for (int i = 0; i < q.s.nd; i++) shape_of[2 + i] = q.s.n[i];
    printf("%d paths of %d steps on the time %g\n", n, o->steps, o->time);
    fd_npy_save(&st, o->out, 2 + q.s.nd, shape_of, path);
    need(&st);
    wrote(o->out);
    if (!o->png) return finish();
    double lo, hi;
    int show = q.s.nd == 1 ? LINES : SHOW;
    if (show > n) show = n;
    range(show * frames * size, path, &lo, &hi);
    if (q.s.nd == 1) {                                     /* time downwards */
        fd_space plane = fd_grid(&a, 2, (int[]){ (int)frames, q.s.n[0] }, NULL, NULL, 1);
        sheet(&st, o->png, &plane, show, show, path, lo, hi, o->map.row, a);
    } else {
        fd_real *some = fd_raw(&a, fd_real, show * FRAMES * size);
        need(&st);
        for (int i = 0; i < show * FRAMES; i++)
            memcpy(some + i * size,
                   path + (i / FRAMES * frames + i % FRAMES * o->steps / (FRAMES - 1)) * size,
                   (size_t)size * sizeof *some);
        sheet(&st, o->png, &q.s, show * FRAMES, FRAMES, some, lo, hi, o->map.row, a);
    }
    return finish();
}
#endif
