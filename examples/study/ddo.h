/* ddo.h -- what the experiments after [DDO] share: functions that are made once and kept, by
 * fd data or by a network, on any grid. */
#ifndef DDO_H
#define DDO_H
#include "data.h"
#include "plot.h"
#include "rows.h"

/* settings -- what is told on the command line: STEPS of each training, all else as it is. */
static inline args settings(int argc, char **argv, int at, int steps)
{
    args o;
    double v = steps;
    options_read(&o, SAMPLE, "", 0, NULL);
    if (argc > at + 1 || (argc == at + 1 && (!number(argv[at], 1, 1e9, &v) || v != floor(v))))
        die(2, "STEPS: a whole number, 1 or more");
    o.train = (int)v;
    return o;
}

static inline fd_space square(fd_arena *a, int side, int bc, int ch)
{
    fd_space s = fd_grid(a, 2, (int[]){ side, side }, NULL, (int[]){ bc, bc }, ch);
    need(a->st);
    return s;
}

/* functions_made -- functions first, first + 1, .. of `fd data WHAT` on side x side points. */
static inline fd_real *functions_made(fd_arena *a, const char *path, const char *what, int side,
                                      int first, int n)
{
    args o = flags_read(a, DATA, "--threads 1", NULL);
    o.grid = (shape){ 2, { side, side, 1 } };
    maker m = maker_new(a, &o, what);
    char how[512];
    snprintf(how, sizeof how, "fd data %s --grid %dx%d --first %d", what, side, side, first);
    fd_real *x = samples_kept(a, path, &m.s, n, how);
    if (x) return x;
    x = fd_raw(a, fd_real, n * fd_size(&m.s));
    fd_real *with = fd_raw(a, fd_real, m.seen);
    need(a->st);
    const double begin = now();
    for (int i = 0; i < n; i++) {
        maker_one(&m, first + i, x + i * fd_size(&m.s), with, *a);
        need(a->st);
        const double rate = (i + 1) / fmax(now() - begin, 1e-9);
        progress("function", i + 1, (i + 1.) / n, -1, rate, (n - i - 1) / rate);
    }
    how_write(a->st, path, how);
    functions_save(*a, path, &m.s, m.s.ch > 1 ? AXES_FIRST : AXES_NONE, n, x);
    return x;
}

/* functions_drawn -- n functions of a network on side x side points, in the units of its data. */
static inline fd_real *functions_drawn(fd_arena *a, const char *path, const kit *k,
                                       const char *flags, int side, int n)
{
    const kit *on = kit_on(a, k, (shape){ 2, { side, side, 1 } });
    args q = flags_read(a, SAMPLE, flags, "--threads 1");
    const char *how = how_drawn(a, &q, k->opt->step);
    fd_real *x = samples_kept(a, path, &on->s, n, how);
    if (x) return x;
    x = fd_raw(a, fd_real, n * fd_size(&on->s));
    need(a->st);
    sample(on, &q, n, x, 0, 0, NULL, *a);
    to_file(&on->norm, &on->s, n, x);
    how_write(a->st, path, how);
    functions_save(*a, path, &on->s, k->axes, n, x);
    return x;
}

/* data_of -- m functions in memory as data that a network is trained on. */
static inline dataset data_of(fd_arena *a, const char *name, const fd_space *s, int m, fd_real *x)
{
    dataset d = data_array(name, s, m, x);
    data_measure(a, &d, NORMALIZE_SCALE, NULL);
    return d;
}
#endif
