/* posterior.h -- given observations: what fd posterior and fd calibrate do, for fd.c.
 *
 *     problem   a prior (Gaussian, or a trained model), its process, observations of one function
 *     methods   draw n functions given the observations, by the name that --method says
 *     report    mean, deviation, misfit, diagnostics, the exact posterior beside where it is known
 *     calibrate ranks, coverage and scores over many functions whose truth is known */
#ifndef POSTERIOR_H
#define POSTERIOR_H
#include "common.h"
#include "operators.h"
#include "plot.h"

/* ---- The problem ----------------------------------------------------------------------------- */

typedef struct {
    fd_space s;
    fd_process p;
    fd_model model;                        /* without observations */
    const fd_cov *c0;                      /* of a Gaussian prior, or NULL */
    const fd_real *mean;                   /* its mean, or that of the data of a model */
    const kit *k;                          /* NULL: a Gaussian prior */
    /* the Gaussian law of the functions and its mean, where they are known: the prior, or with a
     * model what --prior says; else NULL */
    const fd_cov *known;
    const fd_real *middle;
    const double *t;                       /* [steps + 1] of the sampler */
    fd_obs o;
    double *y;
    /* for pictures: places [m][axes], and the values as given; NULL */
    const double *at, *said;
    const int *ch;                         /* of each; NULL: 0 */
    int whole;                             /* a value at every point, in the order of the grid */
    int op;                                /* 1: of a solution (--op), not of the function */
} problem;

static inline int is_amortised(const args *o)
{
    return !strcmp(t_method.rows[o->method.row].name, "amortised");
}

/* known_law -- what --prior says of the functions of a model, in its units. */
static inline void known_law(fd_arena *a, problem *q, const spec *prior)
{
    const normal *v = &q->k->norm;
    if (q->s.ch > 1) die(2, "--prior: with a --model of one channel");
    fd_cov *c = cov_build(a, &q->s, prior, NULL, 0);
    fd_real *mean = fd_new(a, fd_real, fd_size(&q->s));
    spec_need(a->st, "prior");
    for (ptrdiff_t j = 0; j < q->s.modes; j++) c->lam[j] *= v->scale[0] * v->scale[0];
    for (ptrdiff_t j = 0; j < q->s.points; j++)
        mean[j] = (fd_real)(v->shift[0] - (v->center ? (double)v->center[j] : 0));
    q->known = c, q->middle = mean;
}

/* problem_new -- from --model or --prior; without observations. */
static inline problem problem_new(fd_arena *a, args *o)
{
    problem q = { .k = NULL };
    if (o->model) {
        const kit *k = kit_load(a, o->model, NULL);
        k = kit_on(a, k, o->grid);
        if (!is_amortised(o)) condition_none(k, o->model);
        else if (!k->condition.t)
            die(2, "--method: amortised needs a model of fd train --condition");
        q.k = k, q.s = k->s, q.p = k->p, q.model = k->model, q.mean = k->mean;
        if (is_given("prior")) known_law(a, &q, &o->prior);
    } else {
        if (is_amortised(o)) die(2, "--method: amortised needs --model");
        if (!o->grid.nd) die(2, "needs --grid");
        fd_real *mean;
        q.s = fd_grid(a, o->grid.nd, o->grid.n, NULL, o->bc, 1);
        need(a->st);
        q.c0 = cov_build(a, &q.s, &o->prior, NULL, 0);
        spec_need(a->st, "prior");
        const fd_cov *noise = q.c0;
        if (is_given("cov")) {
            noise = cov_build(a, &q.s, &o->cov, NULL, 0);
            spec_need(a->st, "cov");
        }
        q.p = process_build(a, noise, &o->process, 0);
        mean = fd_new(a, fd_real, fd_size(&q.s));
        q.mean = q.middle = mean;
        q.known = q.c0;
        q.model = fd_oracle_gauss(a, &q.p, mean, q.c0);
    }
    need(a->st);
    double *t = fd_raw(a, double, o->steps + 1);
    need(a->st);
    if (o->times.row == TIMES_AUTO) {
        o->times.row = sampled_by[q.k ? q.k->process.row : o->process.row].times;
        o->times.v[0] = 0;
    }
    fd_times(&q.p, o->times.row, o->times.v[0], o->steps, t, a->st);
    spec_need(a->st, "times");
    q.t = t;
    return q;
}

/* ---- Observations from files and flags ------------------------------------------------------- */

enum { OBS_COLS = 8 };

/* obs_units -- y and sd of channel c at a place, in the units of the model. */
static inline void obs_units(const problem *q, int c, double center, double *y, double *sd)
{
    if (!q->k || q->op) return;
    const normal *v = &q->k->norm;
    *y = v->scale[c] * *y + v->shift[c] - center;
    *sd *= fabs(v->scale[c]);
}

/* obs_given -- the places are known, q->y has the values as given, and sd: into the units of the
 * model; each: sd of its own each. */
static inline void obs_given(fd_arena *a, problem *q, const int *ch, double *sd, int each)
{
    need(a->st);
    const int m = q->o.m;
    const double noise = sd[0];
    double *center = fd_new(a, double, m), *said = fd_raw(a, double, m);
    if (said) memcpy(said, q->y, (size_t)m * sizeof *said);
    q->said = said, q->ch = ch;
    if (q->k && q->k->norm.center && center && !q->op)
        q->o.apply(q->o.self, &q->s, 1, q->k->norm.center, center, *a);
    need(a->st);
    for (int i = 0; i < m; i++) obs_units(q, ch[i], center[i], &q->y[i], &sd[i]);
    if (each) fd_obs_noise_each(a, &q->o, sd);
    else if (q->k && q->s.ch > 1) {
        if (noise > 0 && q->o.mul && q->k) {
            for (int i = 1; i < m; i++)
                if (sd[i] != sd[0])
                    die(2, "--blur: this model's channels have scales of their own: no one noise");
            fd_obs_noise(a, &q->o, sd[0]);
        } else if (noise > 0) fd_obs_noise_each(a, &q->o, sd);
    } else fd_obs_noise(a, &q->o, sd[0]);
    need(a->st);
}

/* obs_columns -- the header: col[], which column of the table each one of the file is; at[], where
 * each one of the table stands, or -1; how many the file has. */
enum { VALUE = 3, CHANNEL, SD, OBS_KNOWN };
static const char *const obs_known[OBS_KNOWN] = { "x", "y", "z", "value", "channel", "sd" };
static inline int obs_columns(const char *path, char *line, int nd, int col[OBS_COLS],
                              int at[OBS_KNOWN])
{
    int cols = 0;
    for (int i = 0; i < OBS_KNOWN; i++) at[i] = -1;
    for (char *w = strtok(line, ", ;\t\r\n"); w; w = strtok(NULL, ", ;\t\r\n"), cols++) {
        int i = 0;
        if (cols == OBS_COLS) die(1, "%s: more than %d columns", path, OBS_COLS);
        while (i < OBS_KNOWN && strcmp(obs_known[i], w)) i++;
        if (i == OBS_KNOWN)
            die(1, "%s: column '%s': expected x, y, z, value, channel or sd", path, w);
        if (at[i] >= 0) die(1, "%s: two columns '%s'", path, w);
        col[cols] = i, at[i] = cols;
    }
    for (int i = 0; i < 3; i++)
        if ((at[i] >= 0) != (i < nd)) die(1, "%s: a grid of %d axes needs the columns %s", path, nd,
                                          nd == 1 ? "x, value" : nd == 2 ? "x, y, value"
                                              : "x, y, z, value");
    if (at[VALUE] < 0) die(1, "%s: no column 'value'", path);
    return cols;
}

/* obs_csv -- a header and a line per observation: x[, y[, z]], value[, channel][, sd]. */
static inline void obs_csv(fd_arena *a, problem *q, const char *path, double noise)
{
    FILE *f = fopen(path, "r");
    char line[1024];
    int col[OBS_COLS], cols, at[OBS_KNOWN], nd = q->s.nd, m = 0, room = 0;
    if (!f) die(1, "%s: cannot open", path);
    if (!fgets(line, sizeof line, f))
        die(1, "%s: %s", path, ferror(f) ? strerror(errno) : "it is empty");
    cols = obs_columns(path, line, nd, col, at);
    while (fgets(line, sizeof line, f)) room++;
    rewind(f);
    if (!fgets(line, sizeof line, f) || !room) die(1, "%s: no observations", path);
    double *place = fd_raw(a, double, (ptrdiff_t)room * nd), *sd = fd_raw(a, double, room);
    int *ch = fd_raw(a, int, room);
    q->y = fd_raw(a, double, room);
    need(a->st);
    while (m < room && fgets(line, sizeof line, f)) {
        double v[OBS_KNOWN] = { 0 };
        char *p = line + strspn(line, " \t\r\n"), *end;
        if (!*p) continue;
        v[SD] = noise;
        for (int i = 0; i < cols; i++) {
            v[col[i]] = strtod(p, &end);
            if (end == p || !isfinite(v[col[i]]))
                die(1, "%s: line %d: '%s' is not a number", path, m + 2, obs_known[col[i]]);
            p = end + strspn(end, ", ;\t\r\n");
        }
        if (*p) die(1, "%s: line %d: more than %d numbers", path, m + 2, cols);
        for (int i = 0; i < nd; i++) {
            place[m * nd + i] = v[i];
            if (!(v[i] >= 0 && v[i] <= q->s.len[i]))
                die(1, "%s: line %d: %s = %g is outside the domain, 0 to %g", path, m + 2,
                    obs_known[i], v[i], q->s.len[i]);
        }
        if (!(v[CHANNEL] >= 0 && v[CHANNEL] < q->s.ch) || v[CHANNEL] != floor(v[CHANNEL]))
            die(1, "%s: line %d: channel %g: there are 0 to %d", path, m + 2, v[CHANNEL],
                q->s.ch - 1);
        if (!(v[SD] >= 0)) die(1, "%s: line %d: sd is negative", path, m + 2);
        if (at[SD] >= 0 && !(v[SD] > 0)) die(1, "%s: line %d: sd must be above 0", path, m + 2);
        q->y[m] = v[VALUE], sd[m] = v[SD], ch[m] = (int)v[CHANNEL];
        m++;
    }
    fclose(f);
    if (!m) die(1, "%s: no observations", path);
    q->o = fd_obs_points(a, &q->s, m, place, ch);
    q->at = place;
    obs_given(a, q, ch, sd, at[SD] >= 0);
}

/* obs_array -- a .npy of numbers with n values along each axis, channels first where there are more
 * than one; n 0: any number. A first axis of one function, as fd noise writes it, is left out. */
static inline fd_array obs_array(fd_arena *a, const problem *q, const char *flag, const char *path,
                                 const int n[3])
{
    char is[64], want[64];
    fd_array f = fd_load(a, path);
    need(a->st);
    int nd = q->s.nd, more = q->s.ch > 1, all[FD_MAXD] = { q->s.ch };
    extents(is, f.nd, f.n, "x");
    if (f.nd == nd + more + 1 && f.n[0] == 1) memmove(f.n, f.n + 1, (size_t)--f.nd * sizeof *f.n);
    int ok = f.nd == nd + more && (!more || f.n[0] == q->s.ch);
    for (int i = 0; i < nd; i++) {
        all[more + i] = n[i];
        ok = ok && (f.n[more + i] == n[i] || !n[0]);
    }
    if (!ok && !n[0])
        die(1, "--%s: %s: values of %d axes%s are wanted, it has %s", flag, path, nd,
            more ? ", channels first," : "", is);
    extents(want, nd + more, all, "x");
    if (!ok) die(1, "--%s: %s: %s values, but the grid wants %s", flag, path, is, want);
    return f;
}

/* obs_finite -- value i of a file, which must be a number. */
static inline double obs_finite(const char *flag, const char *path, const fd_array *f, ptrdiff_t i)
{
    if (!isfinite((double)f->x[i]))
        die(1, "--%s: %s: value %td, counted from 0, is not finite", flag, path, i);
    return (double)f->x[i];
}

/* obs_mask -- MASK:VALUES, both with the grid's shape: values count where the mask is not 0. */
static inline void obs_mask(fd_arena *a, problem *q, const char *mask, const char *values,
                            double noise)
{
    const fd_space *s = &q->s;
    const ptrdiff_t size = fd_size(s);
    fd_array w = obs_array(a, q, "obs", mask, s->n), v = obs_array(a, q, "obs", values, s->n);
    ptrdiff_t *index = fd_raw(a, ptrdiff_t, size), m = 0;
    int *ch = fd_raw(a, int, size);
    need(a->st);
    for (ptrdiff_t i = 0; i < size; i++)
        if (obs_finite("obs", mask, &w, i) != 0) ch[m] = (int)(i / s->points), index[m++] = i;
    if (!m) die(1, "--obs: %s: the mask is 0 everywhere: nothing is observed", mask);
    if (m > INT_MAX / 4) die(1, "--obs: %s: too many observations", mask);
    double *y = fd_raw(a, double, m), *sd = fd_raw(a, double, m),
        *at = fd_raw(a, double, m * s->nd);
    need(a->st);
    for (ptrdiff_t i = 0; i < m; i++) {
        int j[3];
        y[i] = obs_finite("obs", values, &v, index[i]), sd[i] = noise;
        /* points are numbered as modes are */
        fd_mode(s, index[i] % s->points, j);
        for (int d = 0; d < s->nd; d++) at[i * s->nd + d] = fd_coord(s, d, j[d]);
    }
    q->o = fd_obs_pick(a, s, (int)m, index);
    q->y = y, q->at = at;
    obs_given(a, q, ch, sd, 0);
}

/* obs_coarse -- values on a coarser grid. */
static inline void obs_coarse(fd_arena *a, problem *q, const char *path, double noise)
{
    const fd_space *s = &q->s;
    const int any[3] = { 0 };
    fd_array v = obs_array(a, q, "coarse", path, any);
    for (int d = 0; d < s->nd; d++)
        if (v.n[(s->ch > 1) + d] > s->n[d])
            die(1, "--coarse: %s: %d values on an axis on which the grid has %d: not coarser", path,
                v.n[(s->ch > 1) + d], s->n[d]);
    fd_space coarse = fd_grid(a, s->nd, v.n + (s->ch > 1), s->len, s->bc, s->ch);
    q->o = fd_obs_coarse(a, s, &coarse);
    need(a->st);
    const int m = q->o.m;
    double *y = fd_raw(a, double, m), *sd = fd_raw(a, double, m),
        *at = fd_raw(a, double, (ptrdiff_t)m * s->nd);
    int *ch = fd_raw(a, int, m);
    need(a->st);
    for (int i = 0; i < m; i++) {
        int j[3];
        y[i] = obs_finite("coarse", path, &v, i), sd[i] = noise, ch[i] = (int)(i / coarse.points);
        fd_mode(&coarse, i % coarse.points, j);
        for (int d = 0; d < s->nd; d++) at[(ptrdiff_t)i * s->nd + d] = fd_coord(&coarse, d, j[d]);
    }
    q->y = y, q->at = at;
    obs_given(a, q, ch, sd, 0);
}

/* obs_blur -- WIDTH:FILE, the function under a Gaussian blur, at every point. */
static inline void obs_blur(fd_arena *a, problem *q, const char *text, double noise)
{
    const fd_space *s = &q->s;
    char *path;
    double width = strtod(text, &path);
    if (path == text || *path != ':' || !path[1] || !(width >= 0 && width <= BIG))
        die(2, "--blur: '%s': expected WIDTH:FILE, as in 0.05:values.npy", text);
    path++;
    fd_array v = obs_array(a, q, "blur", path, s->n);
    double *mul = fd_raw(a, double, s->modes), *y = fd_raw(a, double, fd_size(s)),
        *sd = fd_raw(a, double, fd_size(s));
    int *ch = fd_raw(a, int, fd_size(s));
    need(a->st);
    fd_laplace(s, mul, *a);
    for (ptrdiff_t k = 0; k < s->modes; k++) mul[k] = exp(-.5 * width * width * mul[k]);
    for (ptrdiff_t i = 0; i < fd_size(s); i++)
        y[i] = obs_finite("blur", path, &v, i), sd[i] = noise, ch[i] = (int)(i / s->points);
    q->o = fd_obs_modal(a, s, mul);
    q->y = y, q->whole = 1;
    obs_given(a, q, ch, sd, 0);
}

/* obs_op -- what is observed is so of the solution that --op names. */
static inline void obs_op(fd_arena *a, problem *q, const args *o)
{
    if (!q->op) return;
    const normal *v = q->k ? &q->k->norm : NULL;
    if (v && v->center)
        die(2, "--op: %s was normalised pixel by pixel: --normalize scale in training", o->model);
    op_through *p = op_wrap(a, &q->o, &o->op, v ? v->scale[0] : 1, v ? v->shift[0] : 0);
    need(a->st);
    if (p->wrapped && q->y) {                          /* the file has the phase */
        double *y = fd_raw(a, double, q->o.m);
        need(a->st);
        for (int i = 0; i < q->o.m; i++) y[i] = i % 2 ? sin(q->y[i / 2]) : cos(q->y[i / 2]);
        q->y = y;
    }
    if (p->shift == 0 || !p->linear) return;
    /* a linear equation of a shifted function: what it makes of the shift is taken from y */
    fd_real *zero = fd_new(a, fd_real, fd_size(&q->s));
    double *y = fd_raw(a, double, q->o.m);
    need(a->st);
    q->o.apply(q->o.self, &q->s, 1, zero, y, *a);
    need(a->st);
    for (int i = 0; q->y && i < q->o.m; i++) q->y[i] -= y[i];
    p->shift = 0, q->o.linear = 1;
}

/* obs_sinogram -- of --op radon: as many views and detectors as the file has, unless --op says how
 * many. */
static inline void obs_sinogram(fd_arena *a, problem *q, args *o)
{
    if (!o->obs || strstr(o->obs, ".npy:"))
        die(2, "--op: radon needs --obs FILE, a sinogram [views][detectors], .npy");
    fd_array f = fd_load(a, o->obs);
    double *v = &o->op.v[1];
    char is[64], why[1100];
    if (fd_explain(a->st, why, sizeof why) == FD_EDATA)
        die(1, "--obs: %s; with --op radon it is a sinogram [views][detectors], .npy or IDX", why);
    need(a->st);
    extents(is, f.nd, f.n, "x");
    if (f.nd == 3 && f.n[0] == 1) memmove(f.n, f.n + 1, (size_t)--f.nd * sizeof *f.n);
    if (f.nd != 2)
        die(1, "--obs: %s: a sinogram has two axes, [views][detectors]; it has %s", o->obs, is);
    for (int i = 0; i < 2; i++) {
        if (f.n[i] < 1) die(1, "--obs: %s: a sinogram of nothing: it has %s", o->obs, is);
        if (v[i] > 0 && v[i] != f.n[i])
            die(2, "--op: radon: %s=%g, but %s has %d", i ? "detectors" : "views", v[i], o->obs,
                f.n[i]);
        v[i] = f.n[i];
    }
    q->y = fd_raw(a, double, (ptrdiff_t)f.n[0] * f.n[1]);
    need(a->st);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)f.n[0] * f.n[1]; i++)
        q->y[i] = obs_finite("obs", o->obs, &f, i);
    q->o = (fd_obs){ .s = q->s, .m = f.n[0] * f.n[1] };
    fd_obs_noise(a, &q->o, o->noise);
}

/* obs_read -- what --obs, --coarse or --blur says. */
static inline void obs_read(fd_arena *a, problem *q, args *o)
{
    q->op = o->op.t != NULL;
    if (q->op && o->blur) die(2, "--blur: not with --op");
    if (q->op && is_amortised(o)) die(2, "--op: not with --method amortised");
    if ((o->obs != NULL) + (o->coarse != NULL) + (o->blur != NULL) != 1)
        die(2, o->obs || o->coarse || o->blur ? "--obs, --coarse, --blur: one of them only"
            : "needs --obs, --coarse or --blur");
    const char *cut = o->obs ? strstr(o->obs, ".npy:") : NULL;
    if (q->op && o->op.row == OP_RADON) obs_sinogram(a, q, o);
    else if (o->coarse) obs_coarse(a, q, o->coarse, o->noise);
    else if (o->blur) obs_blur(a, q, o->blur, o->noise);
    else if (cut) {
        char *mask = fd_new(a, char, strlen(o->obs) + 1);
        need(a->st);
        memcpy(mask, o->obs, (size_t)(cut + 4 - o->obs));
        obs_mask(a, q, mask, cut + 5, o->noise);
    } else obs_csv(a, q, o->obs, o->noise);
    obs_op(a, q, o);
    ptrdiff_t modes = 0;
    for (ptrdiff_t k = 0; k < q->s.modes; k++) modes += q->p.noise->lam[k] > 0;
    modes *= q->s.ch;
    if (!(q->o.sd > 0 || q->o.each) && q->o.m > modes && !q->whole)
        die(1, "%d observations without noise, but the grid carries %td modes: give --noise, or a "
            "finer --grid", q->o.m, modes);
}

/* obs_spec -- what --observe says, the same places whatever the function; y is left to be drawn. */
enum { OBSERVE_POINTS, OBSERVE_COARSE, OBSERVE_BLUR };
static inline void obs_spec(fd_arena *a, problem *q, const args *o)
{
    const fd_space *s = &q->s;
    const spec *v = &o->observe;
    const double noise = o->noise;
    const uint64_t seed = o->seed;
    q->op = o->op.t != NULL;
    if (q->op && v->row == OBSERVE_BLUR) die(2, "--observe: blur: not with --op");
    if (q->op && o->op.row == OP_RADON) {
        if (is_given("observe")) die(2, "--observe: not with --op radon: the sinogram is observed");
        q->o = (fd_obs){ .s = *s, .m = 1 };
    } else if (v->row == OBSERVE_POINTS) {
        int m = (int)v->v[0];
        double *at = fd_raw(a, double, (ptrdiff_t)m * s->nd);
        fd_real *u = fd_raw(a, fd_real, (ptrdiff_t)m * s->nd);
        need(a->st);
        fd_uniform(fd_stream(fd_seed(seed), 'o', 0), (ptrdiff_t)m * s->nd, u);
        for (ptrdiff_t i = 0; i < (ptrdiff_t)m * s->nd; i++)
            at[i] = (double)u[i] * s->len[i % s->nd];
        q->o = fd_obs_points(a, s, m, at, NULL);
    } else if (v->row == OBSERVE_COARSE) {
        int n[3] = { (int)v->v[0], (int)v->v[0], (int)v->v[0] };
        fd_space coarse = fd_grid(a, s->nd, n, s->len, s->bc, s->ch);
        q->o = fd_obs_coarse(a, s, &coarse);
    } else {
        double *mul = fd_raw(a, double, s->modes);
        need(a->st);
        fd_laplace(s, mul, *a);
        for (ptrdiff_t k = 0; k < s->modes; k++) mul[k] = exp(-.5 * v->v[0] * v->v[0] * mul[k]);
        q->o = fd_obs_modal(a, s, mul);
    }
    need(a->st);
    double sd = noise, y = 0;
    obs_units(q, 0, 0, &y, &sd);
    fd_obs_noise(a, &q->o, sd);
    obs_op(a, q, o);
    q->y = fd_new(a, double, q->o.m);
    need(a->st);
}

/* ---- Methods --------------------------------------------------------------------------------- */

/* in the order of t_method */
enum { METHOD_EXACT, METHOD_CONDITIONAL, METHOD_GUIDE, METHOD_PIGDM, METHOD_DPS, METHOD_PROJECT,
       METHOD_DENOISED, METHOD_FLAT, METHOD_SPLIT, METHOD_PARTICLES, METHOD_ESMDA, METHOD_LANGEVIN,
       METHOD_FUNDPS, METHOD_DIFFUSIONPDE, METHOD_DAPS, METHOD_ECI, METHOD_PCN, METHOD_MALA,
       METHOD_HMC, METHOD_SLICE, METHOD_WALK, METHOD_LATENT, METHOD_AMORTISED, METHOD_PRIOR };

typedef struct {
    /* evaluations of the model, or of the observation for chains */
    int evals;
    double ess, rhat, rate, evidence;      /* NAN: the method does not have it */
} verdict;

static inline double method_value(const spec *m, const char *name)
{
    const row *r = &m->t->rows[m->row];
    for (int i = 0; i < keys_of(r); i++) if (!strcmp(r->keys[i].name, name)) return m->v[i];
    return 0;
}

static inline void method_gauss(const problem *q, const spec *m)
{
    if (!q->c0) die(2, "--method: %s needs a Gaussian prior: --prior", m->t->rows[m->row].name);
}

static inline void method_linear(const problem *q, const spec *m)
{
    if (!q->o.linear)
        die(2, "--method: %s is for linear equations; pcn, mala, hmc, slice, esmda, pigdm, dps "
               "take any", m->t->rows[m->row].name);
}

static inline void method_noisy(const problem *q, const spec *m)
{
    if (!(q->o.sd > 0 || q->o.each || q->o.chol))
        die(2, "--method: %s needs --noise above 0", m->t->rows[m->row].name);
}

/* method_plain -- for methods that follow what is observed of the noised state, or whose coupling
 * is one number: with an m for each mode the first is no function of y, and the second no multiple
 * of C. */
static inline void method_plain(const problem *q, const spec *m)
{
    if (q->p.modal)
        die(2, "--method: %s is for processes of one m and v for all modes",
            m->t->rows[m->row].name);
}

/* moves -- what the moves of a sampler share. */
typedef struct {
    const problem *q;
    const args *o;
    const fd_sampler *how;
    fd_rng r;
    int rule, first, b, correct;           /* of the method; functions; corrections after a step */
    fd_obs bare;                           /* observations without noise */
    fd_gain *g;
    double *y, *z, *path;                  /* observations; normal numbers; where the path is */
    double *e, *de;                        /* noise on them, NULL: none; that of the denoised */
    fd_real *lots, *xi;
} moves;

static inline int rule_moves(int rule)
{
    return rule == METHOD_PROJECT || rule == METHOD_DENOISED || rule == METHOD_FLAT;
}

static inline void moves_normal(const moves *w, uint32_t purpose, int k, double *z)
{
    const int m = w->q->o.m;
    for (int i = 0; i < w->b; i++)
        fd_normal(fd_stream(fd_stream(w->r, purpose, (uint32_t)k), 'i', (uint32_t)(w->first + i)),
                  m, w->lots + (ptrdiff_t)i * m);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)w->b * m; i++) z[i] = (double)w->lots[i];
}

/* moves_noise -- the noise on the observations at time t; at the start e ~ N(0, v Gamma), noise on
 * F(0) = 0. */
static inline void moves_noise(const moves *w, int k, double from, double t, fd_arena a)
{
    const ptrdiff_t bm = (ptrdiff_t)w->b * w->q->o.m;
    if (k) {
        double *ze = fd_raw(&a, double, bm);
        need(a.st);
        moves_normal(w, 'n', k, ze);
        fd_noise_step(w->how, &w->q->o, from, t, w->b, w->e, w->de, ze, a);
        return;
    }
    fd_real *zero = fd_new(&a, fd_real, w->b * fd_size(&w->q->s));
    need(a.st);
    fd_obs_draw(&w->q->o, fd_stream(w->r, 'e', 0), w->first, w->b, zero, w->e, a);
    for (ptrdiff_t i = 0; i < bm; i++) w->e[i] *= sqrt(fd_law(&w->q->p, t, 0).v);
}

/* moves_project -- the state onto what is observed of the path; then steps of the corrector, each
 * projected, too. */
static inline void moves_project(const moves *w, fd_run *run, int k, double from, double t,
                                 verdict *v, fd_arena a)
{
    const problem *q = w->q;
    const spec *m = &w->o->method;
    const int rule = w->rule, b = w->b;
    const int path_rule = rule == METHOD_PROJECT ? FD_PATH_BRIDGE + (int)method_value(m, "path")
        : FD_PATH_BRIDGE;
    fd_path_move(w->g, &q->p, path_rule, from, t, b, w->y, w->z, w->path, a);
    if (rule == METHOD_FLAT) fd_project_flat(&w->bare, b, w->path, run->x, a);
    else fd_project(w->g, b, w->path, run->x, w->e, a);
    if (!k || k == w->how->steps || !(fd_law(&q->p, t, 0).v > 0)) return;
    for (int c = 0; c < w->correct && t <= method_value(m, "below") * q->p.tmax; c++) {
        fd_sampler fix = *w->how;
        fix.corrector = FD_CORRECT_SCALED, fix.cprm = method_value(m, "c");
        fd_cov_draw(q->p.noise, fd_stream(fd_stream(w->r, 'c', (uint32_t)k), 'j', (uint32_t)c),
                    w->first, b, w->xi, a);
        fd_correct(&fix, t, b, run->x, w->xi, run->d, a);
        fd_project(w->g, b, w->path, run->x, w->e, a);
        v->evals += b;
    }
}

/* moves_end -- the mean of what is left at the last time, observed. */
static inline void moves_end(const moves *w, fd_run *run, double t, fd_arena a)
{
    const problem *q = w->q;
    const int b = w->b;
    const fd_coef f = fd_law(&q->p, t, 0);
    if (!(f.v > 0)) return;
    fd_arena own = a;
    double *tb = fd_raw(&own, double, b);
    need(a.st);
    for (int i = 0; i < b; i++) tb[i] = t;
    fd_predict(&q->model, FD_X0, &q->p, b, run->x, tb, run->d, own);
    memcpy(run->x, run->d, (size_t)(b * fd_size(&q->s)) * sizeof *run->x);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * q->o.m && w->e; i++)
        w->e[i] *= f.m / (f.m * f.m + f.v);
    if (w->rule == METHOD_FLAT) fd_project_flat(&w->bare, b, w->y, run->x, a);
    else fd_project(w->g, b, w->y, run->x, w->e, a);
}

/* method_run -- b functions by a sampler with moves between its steps. */
static inline void method_run(const problem *q, const args *o, const fd_sampler *how, int rule,
                              fd_rng r, int first, int b, fd_real *x, verdict *v, fd_arena a)
{
    const int noisy = q->o.sd > 0 || q->o.each || q->o.chol, any = rule_moves(rule);
    const ptrdiff_t n = b * fd_size(&q->s), bm = (ptrdiff_t)b * q->o.m;
    moves w = { .q = q, .o = o, .how = how, .r = r, .rule = rule, .first = first, .b = b,
                .bare = q->o };
    if (rule == METHOD_PROJECT) w.correct = (int)method_value(&o->method, "corrector");
    w.bare.sd = 0, w.bare.each = w.bare.chol = NULL;
    if (any) w.g = fd_gain_new(&a, rule == METHOD_FLAT ? &w.bare : &q->o, q->p.noise, NULL);
    need_grid(a.st);
    w.y = fd_raw(&a, double, bm), w.path = fd_new(&a, double, bm), w.z = fd_raw(&a, double, bm);
    if (noisy && rule != METHOD_FLAT) w.e = fd_raw(&a, double, bm);
    if (w.e) w.de = fd_new(&a, double, bm);
    w.lots = fd_raw(&a, fd_real, bm);
    if (w.correct) w.xi = fd_raw(&a, fd_real, n);
    fd_run *run = fd_begin(&a, how, r, first, b);
    need(a.st);
    for (ptrdiff_t i = 0; i < bm; i++) w.y[i] = q->y[i % q->o.m];
    for (int k = 0; any && k <= how->steps; k++) {                   /* k = 0: the start */
        double from = k ? how->t[k - 1] : INFINITY, t = how->t[k];
        moves_normal(&w, 'q', k, w.z);
        if (w.e) moves_noise(&w, k, from, t, a);
        if (k) fd_step(run, a);
        need_grid(a.st);
        if (rule != METHOD_DENOISED) moves_project(&w, run, k, from, t, v, a);
        else if (k) fd_project_denoised(w.g, &q->p, t, b, w.y, run->d, w.de, run->x, w.e, a);
        if (k == how->steps) moves_end(&w, run, t, a);
        need(a.st);
    }
    while (!any && fd_step(run, a)) { }
    if (a.st->code == FD_ENAN && rule == METHOD_DPS)
        die(1, "--method: dps: the state is not finite: guidance of this strength needs shorter "
            "steps: a smaller zeta, or more --steps");
    need_grid(a.st);
    memcpy(x, run->x, (size_t)n * sizeof *x);
}

/* stiffness -- the largest eigenvalue of A C A* in units of the noise. */
static inline double stiffness(const problem *q, fd_arena a)
{
    const fd_gain *pull = fd_gain_new(&a, &q->o, q->p.noise, NULL);
    double most = 0;
    need_grid(a.st);
    for (ptrdiff_t k = 0; k < (q->o.mul ? q->s.modes : q->o.m); k++)
        most = fmax(most, pull->w[k] / (q->o.mul ? q->o.sd * q->o.sd : 1));
    return most;
}

/* method_released -- b functions by the steps of FunDPS, DiffusionPDE, DAPS, ECI, named as
 * released. */
static inline void method_released(const problem *q, const args *o, const fd_sampler *how, fd_rng r,
                                   int first, int b, fd_real *x,
                                   fd_arena a)
{
    const spec *m = &o->method;
    const int rule = m->row;
    const ptrdiff_t n = b * fd_size(&q->s);
    fd_released g = { .how = *how, .o = &q->o, .y = q->y, .zeta = method_value(m, "zeta") };
    fd_daps level = { .how = *how, .inner = (int)method_value(m, "inner"),
                      .plain = (int)method_value(m, "plain") };
    const int flow = (int)method_value(m, "flow"), noise = (int)method_value(m, "noise");
    g.rule = rule == METHOD_DIFFUSIONPDE ? FD_DIFFUSIONPDE
           : FD_FUNDPS + (int)method_value(m, "loss");
    fd_obs bare = q->o;
    bare.sd = 0, bare.each = bare.chol = NULL;
    fd_real *eps = fd_raw(&a, fd_real, n), *zero = fd_new(&a, fd_real, n);
    double *y = fd_raw(&a, double, (ptrdiff_t)b * q->o.m), *tb = fd_raw(&a, double, b),
        *t = fd_raw(&a, double, flow + 1);
    double *one = fd_raw(&a, double, q->s.modes);
    need(a.st);
    for (ptrdiff_t k = 0; k < q->s.modes; k++) one[k] = 1;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * q->o.m; i++) y[i] = q->y[i % q->o.m];
    const fd_cov *white = fd_cov_table(&a, &q->s, one);
    const fd_gain *gain = rule == METHOD_ECI
        ? fd_gain_new(&a, &bare, method_value(m, "norm") > 0 ? q->p.noise : white, NULL) : NULL;
    double stiff = 0;
    if (rule == METHOD_DAPS) {
        stiff = stiffness(q, a);
        level.phi = fd_obs_potential(&a, &q->o, q->y);
    }
    for (int i = 0; i < b; i++) tb[i] = how->t[0];
    /* the start, and the noise in it */
    fd_perturb(&q->p, r, first, b, zero, tb, x, eps, a);
    need_grid(a.st);
    for (int k = 0; k < how->steps; k++) {
        double from = how->t[k], to = how->t[k + 1];
        if (rule == METHOD_ECI) {
            if (noise == 1)
                fd_cov_draw(q->p.noise, fd_stream(r, 'f', (uint32_t)k), first, b, eps, a);
            fd_eci_step(&q->p, &q->model, gain, y, from, to, b, x, noise == 2 ? NULL : eps, a);
        } else if (rule == METHOD_DAPS) {
            fd_process part = q->p;
            fd_coef f = fd_law(&q->p, from, 0);
            double h = method_value(m, "h"), s2 = f.v / (f.m * f.m);
            part.tmax = from, part.tmin = how->t[how->steps];
            fd_times(&part, FD_RHO, 0, flow, t, a.st);
            level.how.t = t, level.how.steps = flow, level.how.scheme = FD_DDIM, level.how.eta = 0,
                level.how.p = &q->p;
            level.h = h / (stiff + 1 / s2);
            fd_daps_level(&level, to, fd_stream(r, 'w', (uint32_t)k), first, b, x, a);
        } else {
            fd_released_step(&g, k, b, x, a);
        }
        need_grid(a.st);
    }
    for (int i = 0; i < b; i++) tb[i] = how->t[how->steps];
    if (!(fd_law(&q->p, tb[0], 0).v > 0)) return;
    fd_predict(&q->model, FD_X0, &q->p, b, x, tb, eps, a);
    memcpy(x, eps, (size_t)n * sizeof *x);
    if (rule == METHOD_ECI) fd_project(gain, b, y, x, NULL, a);
    need_grid(a.st);
}

/* State of chains: u of each, and in the metadata which problem it is of, and k, h, accepted, calls
 * of each. */
enum { STATE_TEXT = 128 };
typedef struct {
    const fd_real *u;
    uint32_t k;
    double h, phi;
    long long accepted, calls;
} chain_state;

/* state_owner -- what a state must be of. */
static inline const char *state_owner(const problem *q, const args *o, int chains, char text[512])
{
    char grid[64];
    snprintf(text, 512, "%s, %d chains, %s, seed %" PRIu64, o->method.t->rows[o->method.row].name,
             chains, grid_text(&q->s, grid), o->seed);
    return text;
}

static inline chain_state *state_read(fd_arena *a, const problem *q, const args *o, int chains)
{
    char owner[512], name[32];
    const char *path = o->state;
    if (access(path, F_OK)) return NULL;
    fd_tensors f = fd_tensors_load(a, path);
    chain_state *all = fd_new(a, chain_state, chains);
    need(a->st);
    const fd_tensor *u = fd_tensor_find(&f, "u");
    const char *of = fd_meta_find(&f, "chains of");
    if (!of || !u) die(1, "--state: %s: is no state of chains", path);
    if (strcmp(of, state_owner(q, o, chains, owner)))
        die(1, "--state: %s: is of %s; this is %s", path, of, owner);
    if (u->nd != 2 || u->n[0] != chains || u->n[1] != fd_size(&q->s))
        die(1, "--state: %s: damaged", path);
    for (int c = 0; c < chains; c++) {
        chain_state *s = &all[c];
        unsigned long k = 0;
        sprintf(name, "chain %d", c);
        const char *text = fd_meta_find(&f, name);
        if (!text
            || sscanf(text, "%lu %lf %lld %lld %lf", &k, &s->h, &s->accepted, &s->calls,
                      &s->phi) != 5 || k > UINT32_MAX)
            die(1, "--state: %s: damaged", path);
        s->k = (uint32_t)k, s->u = u->x + c * fd_size(&q->s);
    }
    return all;
}

static inline void state_save(fd_status *st, const problem *q, const args *o, int chains,
                              const chain_state *all, fd_arena a)
{
    char owner[512];
    const ptrdiff_t size = fd_size(&q->s);
    fd_real *u = fd_raw(&a, fd_real, chains * size);
    fd_meta *meta = fd_new(&a, fd_meta, chains + 1);
    char (*text)[2][STATE_TEXT] = fd_alloc(&a, (size_t)chains, sizeof *text);
    need(st);
    meta[0] = (fd_meta){ "chains of", state_owner(q, o, chains, owner) };
    for (int c = 0; c < chains; c++) {
        memcpy(u + c * size, all[c].u, (size_t)size * sizeof *u);
        sprintf(text[c][0], "chain %d", c);
        sprintf(text[c][1], "%lu %.17g %lld %lld %.17g", (unsigned long)all[c].k, all[c].h,
                all[c].accepted, all[c].calls, all[c].phi);
        meta[c + 1] = (fd_meta){ text[c][0], text[c][1] };
    }
    fd_tensor t = { .name = "u", .nd = 2, .n = { chains, (int)size }, .x = u };
    fd_tensors_save(st, o->state,
                    &(fd_tensors){ .count = 1, .metas = chains + 1, .tensor = &t, .meta = meta });
    need(st);
    wrote(o->state);
}

/* chains -- what the chains of a method share; of each, its misfits. */
typedef struct {
    const args *o;
    fd_mcmc how;
    fd_rng r;
    int count, steps, burn, n;             /* chains; steps of each, kept and before; functions */
    ptrdiff_t size;                        /* of a function */
    double *series;
} chains;

/* chains_latent -- chains of the starts of a sampler, whose prior is N(0, v C). */
static inline void chains_latent(fd_arena *a, const problem *q, const fd_sampler *flow,
                                 fd_cov *start, fd_mcmc *how)
{
    double *lam = fd_raw(a, double, q->s.modes);
    need(a->st);
    for (ptrdiff_t k = 0; k < q->s.modes; k++)
        lam[k] = fd_law(&q->p, q->t[0], k).v * q->p.noise->lam[k];
    *start = (fd_cov){ .s = q->s, .lam = lam };
    how->prior = start, how->mean = NULL;
    how->phi = fd_latent_potential(a, flow, &how->phi);
}

/* chain_run -- chain c from its start, or from where it was: its share of the functions x, its
 * state, with the function in `end`, and how often it moved and called the observation. */
static inline chain_state chain_run(const chains *w, int c, const chain_state *was, fd_real *x,
                                    fd_real *end, long long sum[2], fd_arena a)
{
    const ptrdiff_t size = w->size;
    const int steps = w->steps, n = w->n;
    int got = (int)((double)n * c / w->count);
    fd_chain *chain = was ? fd_chain_resume(&a, &w->how, w->r, c, was->u, was->k, was->h,
                                            was->accepted, was->calls)
                          : fd_chain_begin(&a, &w->how, w->r, c, NULL);
    need(a.st);
    if (was && chain->phi != was->phi)
        die(1, "--state: %s: is of another prior, or of other observations", w->o->state);
    long long called = was ? was->calls : 0;
    while (chain->k < (uint32_t)w->burn && !a.st->code) fd_chain_step(chain, a);
    long long before = chain->accepted;
    for (int i = 0; i < steps; i++) {
        fd_chain_step(chain, a);
        need(a.st);
        w->series[c * steps + i] = chain->phi;
        int want = (int)((double)n * (c + (i + 1.) / steps) / w->count);
        for (; got < want; got++) fd_chain_get(chain, x + got * size);
        if (isatty(2) && i % 64 == 0)
            progress("chain", c + 1, (c + (double)i / steps) / w->count, chain->phi, 0, 0);
    }
    sum[0] = chain->accepted - before, sum[1] = chain->calls - called;
    memcpy(end, chain->u, (size_t)size * sizeof *end);
    return (chain_state){ end, chain->k, chain->h, chain->phi, chain->accepted, chain->calls };
}

/* latent_functions -- the functions that n starts make, in their place. */
static inline void latent_functions(const fd_sampler *flow, fd_rng r, ptrdiff_t size, int n,
                                    fd_real *x, fd_arena a)
{
    for (int i = 0; i < n; i++) {
        fd_arena own = a;
        fd_run *run = fd_begin(&own, flow, r, 0, 1);
        need(a.st);
        memcpy(run->x, x + i * size, (size_t)size * sizeof *x);
        while (fd_step(run, own)) { }
        need_grid(a.st);
        memcpy(x + i * size, run->x, (size_t)size * sizeof *x);
    }
}

/* method_chain -- n functions of chains after burn-in, evenly thinned. */
static inline void method_chain(const problem *q, const args *o, int kind, fd_rng r, int n,
                                fd_real *x, verdict *v, fd_arena a)
{
    const spec *m = &o->method;
    const int latent = m->row == METHOD_LATENT, count = (int)method_value(m, "chains");
    const int steps = (int)method_value(m, "steps"), burn = (int)method_value(m, "burn");
    const ptrdiff_t size = fd_size(&q->s);
    fd_cov start;
    fd_sampler flow = { .p = &q->p, .model = q->model, .t = q->t, .steps = o->steps,
                        .scheme = FD_DDIM, .denoise = 1 };
    chains w = { .o = o, .r = r, .count = count, .steps = steps, .burn = burn, .n = n,
                 .size = size };
    w.how = (fd_mcmc){ .prior = q->c0, .mean = q->mean, .kind = kind,
                       .phi = fd_obs_potential(&a, &q->o, q->y), .h = method_value(m, "h"),
                       .leaps = (int)method_value(m, "leaps"), .adapt = burn };
    if (kind == FD_MCMC_SLICE) w.how.h = 1;
    if (latent) chains_latent(&a, q, &flow, &start, &w.how);
    need(a.st);
    w.series = fd_raw(&a, double, (ptrdiff_t)count * steps);
    need(a.st);
    chain_state *was = o->state ? state_read(&a, q, o, count) : NULL,
        *now = fd_new(&a, chain_state, count);
    fd_real *ends = fd_raw(&a, fd_real, count * size);
    need(a.st);
    long long (*sum)[2] = fd_alloc(&a, (size_t)count, sizeof *sum);      /* moved, calls */
    need(a.st);
    for (int c = my_rank; c < count; c += ranks)
        now[c] = chain_run(&w, c, was ? &was[c] : NULL, x, ends + c * size, sum[c], a);
    bar_end();
    long long moved = 0, calls = 0;
    for (int c = 0; c < count; c++) {
        const int from = (int)((double)n * c / count), to = (int)((double)n * (c + 1) / count);
        ranks_share(w.series + (ptrdiff_t)c * steps, steps * (ptrdiff_t)sizeof(double), c % ranks);
        ranks_share(ends + c * size, size * (ptrdiff_t)sizeof *ends, c % ranks);
        ranks_share(x + from * size, (to - from) * size * (ptrdiff_t)sizeof *x, c % ranks);
        ranks_share(&now[c], sizeof now[c], c % ranks);
        ranks_share(sum[c], sizeof sum[c], c % ranks);
        now[c].u = ends + c * size;
        moved += sum[c][0], calls += sum[c][1];
    }
    if (o->state && !my_rank) state_save(a.st, q, o, count, now, a);
    double ess = fd_ess(count, steps, w.series, a), rhat = fd_rhat(count, steps, w.series, a);
    *v = (verdict){ (int)calls, ess, rhat, (double)moved / ((double)count * steps), NAN };
    if (latent) latent_functions(&flow, r, size, n, x, a);
}

/* prior_draw -- n functions without observations: of the Gaussian, or what the sampler makes of the
 * model. */
static inline void prior_draw(const problem *q, const fd_sampler *how, fd_rng r, int n, fd_real *x,
                              fd_arena a)
{
    const ptrdiff_t size = fd_size(&q->s);
    if (!q->c0) { fd_sample(how, r, 0, n, x, a); return; }
    fd_cov_draw(q->c0, r, 0, n, x, a);
    for (ptrdiff_t i = 0; i < n * size; i++) x[i] += q->mean[i % size];
}

/* amortised_fits -- die where the observations are not those that the network was trained for. The
 * same places are told by the same numbers for three functions, in any order. */
static inline void amortised_fits(const problem *q, fd_arena a)
{
    enum { TRIES = 3 };
    const kit *k = q->k;
    const fd_obs *o = &q->o, *was = &k->o;
    const double noise = condition_value(k, "noise");
    for (int i = 0; i < (o->each ? o->m : 1); i++) {
        double sd = o->each ? o->each[i] : o->sd;
        int same = 0;
        for (int c = 0; c < q->s.ch && !same; c++)
            same = fabs(sd / fabs(k->norm.scale[c]) - noise) <= 1e-3 * (noise + 1e-12);
        if (!same)
            die(2, "--noise: %g: the network was trained with noise=%g",
                sd / fabs(k->norm.scale[0]), noise);
    }
    if (!k->told) return;
    if (o->m != was->m)
        die(2, "--obs: %d observations, but the network was trained with %d (fd info: "
               "kit.condition)", o->m, was->m);
    fd_real *x = fd_raw(&a, fd_real, TRIES * fd_size(&q->s));
    double *y = fd_raw(&a, double, TRIES * o->m), *z = fd_raw(&a, double, TRIES * o->m), size = 0;
    char *used = fd_new(&a, char, o->m);
    need(a.st);
    fd_cov_draw(k->c0, fd_seed(2385), 0, TRIES, x, a);
    o->apply(o->self, &q->s, TRIES, x, y, a);
    was->apply(was->self, &q->s, TRIES, x, z, a);
    need(a.st);
    for (int i = 0; i < TRIES * o->m; i++) size = fmax(size, fabs(z[i]));
    for (int i = 0; i < o->m; i++) {
        int j = 0, same = 0;
        for (; j < o->m && !same; j++) {
            same = !used[j];
            for (int l = 0; l < TRIES && same; l++)
                same = fabs(y[l * o->m + i] - z[l * o->m + j]) <= 1e-3 * size;
            if (same) used[j] = 1;
        }
        if (!same)
            die(2, "--obs: observation %d is at a place that the network was not trained for: its "
                   "places are those of fd calibrate --observe with --seed %" PRIu64, i + 1,
                k->places);
    }
}

/* amortised_model -- the network told of q->y. */
static inline fd_model amortised_model(fd_arena *a, const problem *q, const spec *m)
{
    const kit *k = q->k;
    char why[256];
    double free = method_value(m, "free");
    amortised_fits(q, *a);
    fd_amortised *w = fd_amortised_new(a, &k->how, &q->o);
    if (a->st->code == FD_EARG && k->how.sees & FD_SEES_VALUES)
        die(2, "--obs: the network was trained with masks of pixels, these are places");
    if (a->st->code == FD_EARG && fd_explain(a->st, why, sizeof why)) die(2, "--obs: %s", why);
    fd_model told = fd_amortised_model(a, w, q->y, k->raw);
    need(a->st);
    if (free == 1) return told;
    if (!k->model.eval) die(2, "--method: amortised:free needs a model of --condition ..,drop=0.1");
    return fd_free_guided(a, &k->learned, told, k->model, free);
}

/* amortised_observe -- what the network was trained for; i: of which function, where it moves. */
static inline void amortised_observe(fd_arena *a, problem *q, int i)
{
    q->o = condition_obs(a, q->k, (uint32_t)i);
    q->y = fd_new(a, double, q->o.m);
    need(a->st);
}

/* draw_exact -- of a Gaussian prior; returns the evidence. */
static inline double draw_exact(const problem *q, fd_rng r, int n, fd_real *x, fd_arena a)
{
    fd_posterior *p = fd_posterior_new(&a, q->mean, q->c0, &q->o, q->y);
    need_grid(a.st);
    fd_posterior_draw(p, r, 0, n, x, a);
    return p->evidence;
}

/* draw_particles -- with the evidence and the number of particles that count. */
static inline void draw_particles(const problem *q, const args *o, const fd_sampler *how, fd_rng r,
                                  int n, fd_real *x, verdict *v, fd_arena a)
{
    static const int rules[] = { 0, FD_GUIDE_PIGDM, FD_GUIDE_DPS };
    const spec *m = &o->method;
    fd_guide guide = { .o = &q->o, .y = q->y, .rule = rules[(int)method_value(m, "guide")],
                       .zeta = method_value(m, "zeta") };
    fd_particles *p = fd_particles_begin(&a, how, &guide, r, n);
    need(a.st);
    while (fd_particles_step(p, a)) { }
    need_grid(a.st);
    v->evidence = fd_particles_evidence(p), v->ess = fd_particles_ess(p);
    v->evals = n * (o->steps + 1);
    fd_particles_resample(p, a);
    memcpy(x, p->run->x, (size_t)(n * fd_size(&q->s)) * sizeof *x);
}

/* draw_split -- sweeps of a split Gibbs sampler, whose rho falls from 1 in the first half. */
static inline void draw_split(const problem *q, const args *o, fd_sampler how, fd_rng r, int n,
                              fd_real *x, fd_arena a)
{
    const spec *m = &o->method;
    double rho = method_value(m, "rho");
    int sweeps = (int)method_value(m, "sweeps");
    fd_gain *g = fd_gain_new(&a, &q->o, q->p.noise, NULL);
    double *t = fd_raw(&a, double, o->steps + 1);
    need_grid(a.st);
    fd_sample(&how, r, 0, n, x, a);
    for (int i = 0; i < sweeps && !a.st->code; i++) {
        double now = 2 * i < sweeps ? pow(rho, 2. * i / sweeps) : rho;
        fd_process part = q->p;
        part.tmax = fd_time_at(&q->p, now);
        fd_times(&part, FD_LOGSNR, 0, o->steps, t, a.st);
        how.t = t;
        double at = fd_law(&q->p, t[0], 0).m;
        fd_split_gibbs(&how, g, q->y, sqrt(fd_law(&q->p, t[0], 0).v) / at,
                       fd_stream(r, 'w', (uint32_t)i), 0, n, x, a);
    }
}

/* draw_langevin -- Langevin steps at each time of the sampler. */
static inline void draw_langevin(const problem *q, const args *o, fd_rng r, int n, fd_real *x,
                                 verdict *v, fd_arena a)
{
    const spec *m = &o->method;
    fd_potential phi = fd_obs_potential(&a, &q->o, q->y);
    fd_real *xi = fd_raw(&a, fd_real, n * fd_size(&q->s));
    need(a.st);
    int inner = (int)method_value(m, "inner");
    fd_cov_draw(q->p.noise, r, 0, n, x, a);
    for (int k = 0; k <= o->steps && !a.st->code; k++)
        for (int i = 0; i < inner && !a.st->code; i++, v->evals += n) {
            if (!(fd_law(&q->p, q->t[k], 0).v > 0)) continue;
            fd_cov_draw(q->p.noise, fd_stream(fd_stream(r, 'L', (uint32_t)k), 'i', (uint32_t)i), 0,
                        n, xi, a);
            fd_langevin(&q->p, &q->model, &phi, q->t[k], method_value(m, "h"), 1, n, x, xi, a);
        }
}

/* sampler_given -- changes a sampler of the prior into that of the method: other steps, or a model
 * that knows the observations. */
static inline void sampler_given(fd_arena *a, const problem *q, const spec *m, fd_sampler *how)
{
    const int rule = m->row;
    if (rule_moves(rule)) {
        method_plain(q, m);
        if (rule == METHOD_DENOISED && !is_given("scheme")) how->scheme = FD_DDIM;
        how->denoise = 0;
        if (how->scheme >= FD_ONE_STAGE)
            die(2, "--method: %s needs a one-stage scheme: --scheme ancestral, ddim, "
                   "euler-maruyama, ..", m->t->rows[rule].name);
    }
    if (rule == METHOD_CONDITIONAL) {
        method_gauss(q, m);
        how->model = fd_oracle_posterior(a, &q->p, 1, NULL, q->mean, &q->c0, &q->o, q->y);
    }
    if (rule == METHOD_AMORTISED) how->model = amortised_model(a, q, m);
    if (rule == METHOD_GUIDE || rule == METHOD_PIGDM || rule == METHOD_DPS) {
        fd_guide *g = fd_new(a, fd_guide, 1);
        need(a->st);
        *g = (fd_guide){ .p = &q->p, .model = q->model, .o = &q->o, .y = q->y,
                         .rule = FD_GUIDE_EXACT + rule - METHOD_GUIDE,
                         .zeta = method_value(m, "zeta"),
                         .plain = (int)method_value(m, "plain") };
        if (rule == METHOD_DPS) method_noisy(q, m);
        how->model = fd_guided(a, g);
    }
    need(a->st);
}

/* draw_batches -- a batch at a time, those of this process: by the steps of a released program, or
 * by a sampler with moves. */
static inline void draw_batches(const problem *q, const args *o, const fd_sampler *how,
                                int released, fd_rng r, int n, fd_real *x, verdict *v, fd_arena a)
{
    const ptrdiff_t size = fd_size(&q->s);
    for (int i = 0; i < n; i += o->batch) {
        int b = n - i < o->batch ? n - i : o->batch;
        if (i / o->batch % ranks != my_rank) continue;
        if (released) method_released(q, o, how, r, i, b, x + i * size, a);
        else method_run(q, o, how, o->method.row, r, i, b, x + i * size, v, a);
    }
    batches_share(n, o->batch, size, x);
    v->evals = (int)ranks_sum(0, v->evals);
}

/* posterior_draw -- n functions given q->y by o->method. Chains, and batches of what draws function
 * by function, are shared by the processes; the other methods need all functions at once. */
static inline verdict posterior_draw(const problem *q, const args *o, fd_rng r, int n, fd_real *x,
                                     fd_arena a)
{
    static const int linear[] = { METHOD_EXACT, METHOD_CONDITIONAL, METHOD_PROJECT, METHOD_DENOISED,
                                  METHOD_FLAT, METHOD_SPLIT, METHOD_PARTICLES, METHOD_DAPS,
                                  METHOD_ECI };
    const spec *m = &o->method;
    const int rule = m->row;
    verdict v = { 0, NAN, NAN, NAN, NAN };
    if (o->state && !(rule >= METHOD_PCN && rule <= METHOD_LATENT))
        die(2, "--state: %s is no chain", m->t->rows[rule].name);
    fd_sampler how = { .p = &q->p, .model = q->model, .t = q->t, .steps = o->steps,
                       .scheme = o->scheme.row, .eta = o->eta, .denoise = 1, .evals = &v.evals };
    if (q->k) how.mean = q->mean;
    for (int i = 0; i < COUNT(linear); i++) if (rule == linear[i]) method_linear(q, m);
    switch (rule) {
    case METHOD_EXACT:
        method_gauss(q, m);
        v.evidence = draw_exact(q, r, n, x, a);
        break;
    case METHOD_ESMDA:
        method_noisy(q, m);
        prior_draw(q, &how, r, n, x, a);
        for (int i = 0, steps = (int)method_value(m, "steps"); i < steps && !a.st->code; i++)
            fd_esmda(&q->o, q->y, steps, fd_stream(r, 'e', (uint32_t)i), n, x, a);
        break;
    case METHOD_PARTICLES:
        method_noisy(q, m), method_plain(q, m);
        draw_particles(q, o, &how, r, n, x, &v, a);
        break;
    case METHOD_SPLIT:
        method_plain(q, m);
        draw_split(q, o, how, r, n, x, a);
        break;
    case METHOD_LANGEVIN:
        method_noisy(q, m);
        draw_langevin(q, o, r, n, x, &v, a);
        break;
    case METHOD_FUNDPS: case METHOD_DIFFUSIONPDE: case METHOD_DAPS: case METHOD_ECI:
        method_plain(q, m);
        if (rule == METHOD_DAPS) method_noisy(q, m);
        draw_batches(q, o, &how, 1, r, n, x, &v, a);
        break;
    case METHOD_PCN: case METHOD_MALA: case METHOD_HMC: case METHOD_SLICE: case METHOD_WALK:
        method_gauss(q, m), method_noisy(q, m);
        method_chain(q, o, FD_MCMC_PCN + rule - METHOD_PCN, r, n, x, &v, a);
        break;
    case METHOD_LATENT:
        method_noisy(q, m);
        method_chain(q, o, FD_MCMC_PCN, r, n, x, &v, a);
        break;
    case METHOD_PRIOR:
        prior_draw(q, &how, r, n, x, a);
        break;
    default:
        sampler_given(&a, q, m, &how);
        draw_batches(q, o, &how, 0, r, n, x, &v, a);
    }
    need_grid(a.st);
    return v;
}

/* ---- Report ---------------------------------------------------------------------------------- */

/* moments_of -- pointwise mean and deviation of n functions. */
static inline void moments_of(ptrdiff_t size, int n, const fd_real *x, fd_real *mean, fd_real *sd)
{
    for (ptrdiff_t j = 0; j < size; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < n; i++) m += (double)x[i * size + j] / n;
        for (int i = 0; i < n; i++)
            v += ((double)x[i * size + j] - m)
                * ((double)x[i * size + j] - m) / (n > 1 ? n - 1 : 1);
        mean[j] = (fd_real)m, sd[j] = (fd_real)sqrt(v);
    }
}

static inline double size_of(ptrdiff_t n, const fd_real *x)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum / n);
}

static inline double apart(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sqrt(sum / n);
}

/* misfit_of -- root mean square of (A x - y)/sd, or of A x - y without noise, over n functions. */
static inline double misfit_of(const problem *q, int n, const fd_real *x, fd_arena a)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += 2 * fd_obs_misfit(&q->o, q->y, x + i * fd_size(&q->s), NULL, a) / q->o.m;
    return sqrt(sum / n);
}

/* panel_data -- the values of the observations at the nearest points of the grid, else NaN. */
static inline fd_real *panel_data(fd_arena *a, const problem *q)
{
    const fd_space *s = &q->s;
    const ptrdiff_t size = fd_size(s);
    fd_real *data = fd_raw(a, fd_real, size);
    need(a->st);
    for (ptrdiff_t i = 0; i < size; i++) data[i] = (fd_real)NAN;
    for (int i = 0; i < q->o.m && !q->op; i++) {
        ptrdiff_t at = 0;
        for (int d = 0; d < s->nd && !q->whole; d++) {
            double from0 = fd_coord(s, d, 0), step = s->n[d] > 1 ? fd_coord(s, d, 1) - from0 : 1;
            int j = (int)floor((q->at[(ptrdiff_t)i * s->nd + d] - from0) / step + .5);
            at = at * s->n[d]
                + (j < 0 ? 0 : j >= s->n[d] ? s->bc[d] == FD_PERIODIC ? 0 : s->n[d] - 1 : j);
        }
        data[q->whole ? i : at + (q->ch ? q->ch[i] : 0) * s->points] = (fd_real)q->said[i];
    }
    return data;
}

/* panels_png -- the data where they are, mean, deviation, draws, the exact ones beside, each named;
 * a row for each channel. */
static inline void panels_png(const char *path, const problem *q, int n, const fd_real *x,
                              const fd_real *mean, const fd_real *sd,
                              const fd_real *em, const fd_real *es, int map, fd_arena a)
{
    enum { MOST = 4, LINE = 24, IN = 12 };
    static const char *const drawn[MOST] = { "draw 1", "draw 2", "draw 3", "draw 4" };
    static const unsigned char blank[3] = { 225, 225, 225 };
    const fd_space *s = &q->s;
    const ptrdiff_t size = fd_size(s);
    int show = n < MOST ? n : MOST, cols = 0, h, w;
    const char *name[5 + MOST];
    const fd_real *from[5 + MOST];
    double lo, hi, most = 1e-30;
    /* What --op has seen is in units of its own: it is printed, not drawn. */
    if (!q->op) name[cols] = "data", from[cols++] = panel_data(&a, q);
    name[cols] = "mean", from[cols++] = mean;
    if (em) name[cols] = "exact mean", from[cols++] = em;
    /* deviations have a scale of their own, from 0 */
    const int first = cols;
    name[cols] = "sd", from[cols++] = sd;
    if (em) name[cols] = "exact sd", from[cols++] = es;
    const int last = cols;
    for (int i = 0; i < show; i++) name[cols] = drawn[i], from[cols++] = x + i * size;
    range(size, mean, &lo, &hi);
    for (int i = 0; i < cols; i++)
        for (ptrdiff_t k = 0; k < size; k++) {
            double v = (double)from[i][k];
            if (i >= first && i < last) most = fmax(most, v);
            else if (isfinite(v)) lo = fmin(lo, v), hi = fmax(hi, v);
        }
    panel(s, mean, 0, lo, hi, &h, &w, NULL);
    int zoom = 1080 / (cols * w), side = w > h ? w : h;
    zoom = zoom < 1 ? 1 : zoom * side > 240 && zoom > 1 ? (240 / side > 1 ? 240 / side : 1) : zoom;
    int across = w * zoom + IN;
    for (int i = 0; i < cols; i++)
        across = plot_width(1, name[i]) + IN > across ? plot_width(1, name[i]) + IN : across;
    plot_canvas c = plot_new(&a, LINE + s->ch * (h * zoom + IN), cols * across + IN);
    fd_real *y = fd_raw(&a, fd_real, (ptrdiff_t)h * w);
    need(a.st);
    for (int i = 0; i < cols; i++) {
        int big = plot_width(2, name[i]) <= across - 2 ? 2 : 1;
        plot_text(&c, big == 2 ? 5 : 9, IN + i * across, big, name[i]);
        for (int k = 0; k < s->ch; k++) {
            int top = LINE + k * (h * zoom + IN), left = IN + i * across;
            int spread = i >= first && i < last;
            panel(s, from[i], k, lo, hi, &h, &w, y);
            plot_image(&c, top, left, h, w, y, spread ? 0 : lo, spread ? most : hi, map, zoom);
            for (int j = 0; j < h * w; j++)
                if (!isfinite((double)y[j]))
                    plot_box(&c, top + j / w * zoom, left + j % w * zoom, zoom, zoom, blank, 1);
        }
    }
    fd_png_save(a.st, path, c.h, c.w, c.rgb);
    need(a.st);
    wrote(path);
}

/* posterior_png -- one axis: observations, mean, two deviations, the exact ones, some draws; more
 * axes: panels. */
static inline void posterior_png(const char *path, const problem *q, int n, const fd_real *x,
                                 const fd_real *mean, const fd_real *sd, const fd_real *em,
                                 const fd_real *es, int map, fd_arena a)
{
    const fd_space *s = &q->s;
    const ptrdiff_t size = fd_size(s);
    if (s->nd > 1) { panels_png(path, q, n, x, mean, sd, em, es, map, a); return; }
    enum { SHOW = 5 };
    const int N = s->n[0];
    int seen = 0;
    plot p;
    double *at = fd_raw(&a, double, N), *v = fd_raw(&a, double, (ptrdiff_t)(6 + SHOW) * N),
        *place = fd_raw(&a, double, 2 * (ptrdiff_t)q->o.m);
    need(a.st);
    for (int i = 0; i < N; i++) at[i] = fd_coord(s, 0, i);
    /* of channel 0, as all that is drawn */
    for (int i = 0; i < q->o.m && !q->op; i++)
        if (!q->ch || !q->ch[i])
            place[seen] = q->whole ? at[i] : q->at[i], place[q->o.m + seen++] = q->said[i];
    for (int k = 0; k < 6 + SHOW; k++)
        for (int i = 0; i < N; i++) {
            const fd_real *m = k < 3 ? mean : em ? em : mean, *d = k < 3 ? sd : es ? es : sd;
            v[k * N + i] = k < 6 ? (double)m[i] + 2 * (k % 3 - 1) * (double)d[i]
                         : k - 6 < n ? (double)x[(k - 6) * size + i] : 0;
        }
    plot_begin(&p, 1000, 520, "given the observations", "x", "function", 0, 0);
    p.beside = 1;
    for (int k = 0; k < SHOW && k < n; k++)
        plot_line(&p, N, at, v + (6 + k) * N, k ? NULL : "draws", PLOT_DASHED);
    plot_line(&p, N, at, v + N, "mean", PLOT_SOLID);
    plot_line(&p, N, at, v, "mean +- 2 sd", PLOT_SOLID);
    plot_line(&p, N, at, v + 2 * N, NULL, PLOT_SOLID);
    if (em) plot_line(&p, N, at, v + 4 * N, "exact mean", PLOT_DOTTED);
    plot_line(&p, seen, place, place + q->o.m, q->whole ? "data (blurred)" : "data", PLOT_POINTS);
    plot_save(a.st, &p, path, a);
    need(a.st);
    wrote(path);
}

static inline int do_posterior(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    problem q = problem_new(&a, o);
    const ptrdiff_t size = fd_size(&q.s);
    if (is_amortised(o) && !is_given("noise")) o->noise = condition_value(q.k, "noise");
    obs_read(&a, &q, o);
    fd_real *x = fd_raw(&a, fd_real, o->n * size), *mean = fd_raw(&a, fd_real, 4 * size);
    need(&st);
    fd_real *sd = mean + size, *em = NULL, *es = NULL;
    double begin = now();
    verdict v = posterior_draw(&q, o, fd_seed(o->seed), o->n, x, a);
    double spent = now() - begin, prior = 0;
    ranks_leave();
    moments_of(size, o->n, x, mean, sd);
    char grid[64];
    printf("%d observations%s; %d functions on %s by %s\n", q.o.m, q.o.sd > 0
           || q.o.each ? "" : " without noise", o->n, grid_text(&q.s, grid),
           o->method.t->rows[o->method.row].name);
    printf("mean: size %.4g; deviation: %.4g\n", size_of(size, mean), size_of(size, sd));
    printf("misfit at the observations, in %s: of the draws %.4g, of their mean %.4g\n",
           q.o.sd > 0 || q.o.each ? "deviations" : "units", misfit_of(&q, o->n, x, a),
               misfit_of(&q, 1, mean, a));
    if (q.known && q.o.linear) {
        fd_posterior *p = fd_posterior_new(&a, q.middle, q.known, &q.o, q.y);
        need_grid(&st);
        em = p->mean, es = mean + 2 * size;
        fd_posterior_std(p, es, a);
        fd_cov_std(q.known, mean + 3 * size, a);
        need(&st);
        prior = size_of(size, mean + 3 * size);
        printf("exact: mean of size %.4g, deviation %.4g (prior %.4g), log p(y) %.6g\n",
               size_of(size, em), size_of(size, es), prior, p->evidence);
        printf("error of the mean %.3g, of the deviation %.3g, relative to the exact ones (chance "
               "alone: about %.2g, %.2g)\n", apart(size, mean, em) / size_of(size, em),
                   apart(size, sd, es) / size_of(size, es),
                   size_of(size, es) / size_of(size, em) / sqrt(o->n), sqrt(.5 / o->n));
    }
    if (isfinite(v.evidence) && o->method.row == METHOD_PARTICLES)
        printf("log p(y) of the particles %.6g\n", v.evidence);
    if (isfinite(v.rate))
        printf("acceptance %.3f, effective samples of the misfit %.4g, split R-hat %.4f\n", v.rate,
               v.ess, v.rhat);
    else if (isfinite(v.ess)) printf("effective samples %.4g\n", v.ess);
    printf("%d evaluations, %.2f s\n", v.evals, spent);
    if (q.k) to_file(&q.k->norm, &q.s, o->n, x);
    functions_save(a, o->out, &q.s, q.k ? q.k->axes : AXES_NONE, o->n, x);
    if (q.k) {
        for (ptrdiff_t i = 0; i < size; i++)
            sd[i] = (fd_real)((double)sd[i] / fabs(q.k->norm.scale[i / q.s.points]));
        to_file(&q.k->norm, &q.s, 1, mean);
    }
    if (o->png) posterior_png(o->png, &q, o->n, x, mean, sd, em, es, o->map.row, a);
    return finish();
}

/* ---- Calibration ----------------------------------------------------------------------------- */

enum { FUNCTIONALS = 8, BINS = 8 };
typedef struct { double v[FUNCTIONALS]; } features;
static const char *const functional_name[FUNCTIONALS] = { "value at 1/4", "value at 1/2",
                                                          "value at 3/4", "mode 0", "mode 1",
                                                          "mode 2", "mode 3", "norm" };

static inline void functionals(const fd_space *s, const fd_real *x, double f[FUNCTIONALS],
                               fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, fd_size(s));
    need(a.st);
    fd_to_modes(s, 1, x, u, a);
    for (int i = 0; i < 3; i++) f[i] = (double)x[(i + 1) * s->points / 4];
    for (int i = 0; i < 4; i++) f[3 + i] = i < s->modes ? (double)u[i] : 0;
    f[7] = sqrt(fd_inner(s, x, x));
}

/* chi2_normal -- a chi^2 number x of k degrees of freedom as one that is nearly standard normal
 * (Wilson and Hilferty): ((x/k)^(1/3) - (1 - v))/sqrt(v), v = 2/(9 k). */
static inline double chi2_normal(double x, double k)
{
    double v = 2 / (9 * k);
    return (pow(x / k, 1. / 3) - (1 - v)) / sqrt(v);
}

/* chi2_tail -- P(X > x) of chi^2 with k degrees of freedom, to three digits. */
static inline double chi2_tail(double x, int k) { return .5 * erfc(chi2_normal(x, k) / sqrt(2)); }

/* unknowns -- the functions of --data, or NULL: then --prior, or the model, draws them. */
static inline dataset *unknowns(fd_arena *a, const problem *q, const args *o, dataset *d)
{
    if (!o->data) {
        if (!q->known && !q->model.eval)
            die(2, "needs --data or --prior to test with: this network draws no functions on its "
                   "own");
        return NULL;
    }
    if (!q->k) die(2, "--data: with --model");
    args p = *o;
    memcpy(p.bc, q->s.bc, sizeof p.bc);
    *d = data_open(a, o->data, &p, q->k, shape_of(&q->s), o->grid);
    data_measure(a, d, 0, &q->k->norm);
    data_say(d, "", o->model);
    return d;
}

static inline void unknown_draw(const problem *q, const args *o, const dataset *d, fd_rng r, int n,
                                fd_real *x, fd_arena a)
{
    const ptrdiff_t size = fd_size(&q->s);
    if (!d && !q->known) { posterior_draw(q, o, r, n, x, a); return; }
    if (!d) fd_cov_draw(q->known, r, 0, n, x, a);
    for (ptrdiff_t i = 0; i < n * size && !d; i++) x[i] += q->middle[i % size];
    for (int i = 0; i < n && d; i++) data_take(d, fd_index(r, (uint64_t)i, d->m), x + i * size, a);
    fd_cov_pow(q->p.noise, 0, n, x, x, a);
    need(a.st);
}

/* ranks_png -- bars of the ranks of each functional, with the number that an even one has in each
 * bin and two deviations of it. */
static inline void ranks_png(const char *path, int n, int bins[FUNCTIONALS][BINS], fd_arena a)
{
    enum { ACROSS = 4, W = 240, H = 190, IN = 24, BAR = (W - 2 * IN) / BINS };
    static const unsigned char band[3] = { 215, 225, 235 }, line[3] = { 110, 110, 110 };
    plot_canvas c = plot_new(&a, FUNCTIONALS / ACROSS * H, ACROSS * W);
    double each = (double)n / BINS, sd = sqrt(each * (1 - 1. / BINS)), most = 3 * each;
    for (int j = 0; j < FUNCTIONALS; j++)
        for (int k = 0; k < BINS; k++) most = fmax(most, bins[j][k]);
    for (int j = 0; j < FUNCTIONALS; j++) {
        int y = j / ACROSS * H + 2 * IN, x = j % ACROSS * W + IN, h = H - 3 * IN;
        int lo = (int)(h * fmax(0, each - 2 * sd) / most), hi = (int)(h * (each + 2 * sd) / most);
        plot_text(&c, y - IN, x, 2, functional_name[j]);
        plot_box(&c, y + h - hi, x, hi - lo, BINS * BAR, band, 1);
        for (int k = 0; k < BINS; k++) {
            int tall = (int)(h * bins[j][k] / most);
            plot_box(&c, y + h - tall, x + k * BAR + 2, tall, BAR - 4, plot_hue(0), .8);
        }
        plot_box(&c, y + h - (int)(h * each / most), x, 1, BINS * BAR, line, 1);
        plot_box(&c, y + h, x, 1, BINS * BAR, line, 1);
    }
    if (c.rgb) fd_png_save(a.st, path, c.h, c.w, c.rgb);
    need(a.st);
    wrote(path);
}

/* calibration -- of the functionals, over all functions: the ranks of the truth among the draws,
 * coverage, sums and squares of the truth, the variance of the draws. Of the functions: scores of
 * the draws [0] and of the prior [1]. */
typedef struct {
    int bins[FUNCTIONALS][BINS];
    double cover[2], mid[FUNCTIONALS], sq[FUNCTIONALS], var, crps[2], energy[2];
} calibration;

/* calibrate_ranks -- adds what the functionals f of L draws say of those of the truth. */
static inline void calibrate_ranks(calibration *t, int L, const features *f,
                                   const double want[FUNCTIONALS], int n)
{
    for (int j = 0; j < FUNCTIONALS; j++) {
        int rank = 0;
        double m = 0;
        for (int k = 0; k < L; k++) rank += f[k].v[j] < want[j], m += f[k].v[j] / L;
        t->bins[j][rank * BINS / (L + 1)]++;
        double u = (rank + .5) / (L + 1);
        t->cover[0] += (u > .25 && u < .75) / (double)FUNCTIONALS / n;
        t->cover[1] += (u > .05 && u < .95) / (double)FUNCTIONALS / n;
        t->mid[j] += want[j] / n, t->sq[j] += want[j] * want[j] / n;
        for (int k = 0; k < L; k++)
            t->var += j < 3 ? (f[k].v[j] - m) * (f[k].v[j] - m) / (L - 1.) / n : 0;
    }
}

/* calibrate_scores -- adds the CRPS and the energy score of L functions x. */
static inline void calibrate_scores(const fd_space *s, int L, const fd_real *x,
                                    const fd_real *truth, int n, double *crps, double *energy,
                                    fd_arena a)
{
    const ptrdiff_t size = fd_size(s);
    *crps += fd_crps(s, L, x, truth, a) / n;
    for (int k = 0; k < L; k++)                                      /* |X - x*| - 1/2 |X - X'| */
        *energy += apart(size, x + k * size, truth) / L / n
                 - .5 * apart(size, x + k * size, x + (k + 1) % L * size) / L / n;
}

/* calibrate_say -- what came out; 1 where the draws are not of the posterior. */
static inline int calibrate_say(const calibration *t, int n, double begin)
{
    double least = 1, var0 = 0;
    for (int j = 0; j < 3; j++) var0 += t->sq[j] - t->mid[j] * t->mid[j];
    printf("%-14s %8s   ranks in %d bins\n", "functional", "p-value", BINS);
    for (int j = 0; j < FUNCTIONALS; j++) {
        double chi = 0, each = (double)n / BINS;
        for (int k = 0; k < BINS; k++)
            chi += (t->bins[j][k] - each) * (t->bins[j][k] - each) / each;
        double p = chi2_tail(chi, BINS - 1);
        least = fmin(least, p);
        printf("%-14s %8.2g  ", functional_name[j], p);
        for (int k = 0; k < BINS; k++) printf(" %3d", t->bins[j][k]);
        printf("\n");
    }
    printf("coverage of the central 50 %%: %.3f, of 90 %%: %.3f\n", t->cover[0], t->cover[1]);
    printf("CRPS %.4g, of the prior %.4g; energy score %.4g, of the prior %.4g\n", t->crps[0],
           t->crps[1], t->energy[0], t->energy[1]);
    printf("contraction: variance given the observations over that before: %.3f\n", t->var / var0);
    int uneven = least < .01 / FUNCTIONALS, idle = !(t->crps[0] < .98 * t->crps[1]);
    printf("%s (%.1f s)\n", uneven ? "NOT CALIBRATED: the ranks are not uniform"
                          : idle ? "NOT CALIBRATED: no better than the prior, which ranks and "
                                   "coverage cannot see"
                          : "calibrated, as far as so many functions can tell", now() - begin);
    return uneven || idle;
}

/* ranks_csv -- the ranks of each functional, a row each. */
static inline void ranks_csv(fd_status *st, const char *path, int bins[FUNCTIONALS][BINS])
{
    double rows[FUNCTIONALS][BINS];
    char head[BINS][16];
    const char *names[BINS];
    for (int k = 0; k < BINS; k++) sprintf(head[k], "bin%d", k), names[k] = head[k];
    for (int j = 0; j < FUNCTIONALS; j++)
        for (int k = 0; k < BINS; k++) rows[j][k] = bins[j][k];
    fd_csv_save(st, path, BINS, names, FUNCTIONALS, rows[0]);
    need(st);
    wrote(path);
}

static inline int do_calibrate(args *o)
{
    static calibration t;
    fd_status st;
    fd_arena a = arena_make(o, &st);
    problem q = problem_new(&a, o);
    const ptrdiff_t size = fd_size(&q.s);
    const int L = o->draws;
    const int own = is_amortised(o) && !is_given("observe"), told = own && condition_moves(q.k);
    if (is_amortised(o) && !is_given("noise")) o->noise = condition_value(q.k, "noise");
    if (own && o->op.t) die(2, "--op: not with --method amortised");
    if (own) amortised_observe(&a, &q, 0);
    else obs_spec(&a, &q, o);
    dataset data, *real = unknowns(&a, &q, o, &data);
    fd_real *truth = fd_raw(&a, fd_real, size), *x = fd_raw(&a, fd_real, (L + 1) * size),
        *other = fd_raw(&a, fd_real, L * size);
    features *f = fd_raw(&a, features, L);
    need(&st);
    const spec asked = o->method;
    const double begin = now();
    for (int i = 0; i < o->n; i++) {
        fd_rng r = fd_stream(fd_seed(o->seed), 'C', (uint32_t)i);
        double want[FUNCTIONALS];
        fd_arena mark = a;
        if (told) amortised_observe(&a, &q, i);
        /* truth, and draws of the prior to compare with */
        o->method.row = METHOD_PRIOR;
        unknown_draw(&q, o, real, fd_stream(r, 't', 0), L, other, a);
        memcpy(truth, other, (size_t)size * sizeof *truth);
        unknown_draw(&q, o, real, fd_stream(r, 'p', 0), L, other, a);
        o->method = asked;
        fd_obs_draw(&q.o, fd_stream(r, 'y', 0), 0, 1, truth, q.y, a);
        posterior_draw(&q, o, fd_stream(r, 'x', 0), L, x, a);
        functionals(&q.s, truth, want, a);
        for (int k = 0; k < L; k++) functionals(&q.s, x + k * size, f[k].v, a);
        calibrate_ranks(&t, L, f, want, o->n);
        for (int p = 0; p < 2; p++)
            calibrate_scores(&q.s, L, p ? other : x, truth, o->n, &t.crps[p], &t.energy[p], a);
        if (isatty(2)) progress("function", i + 1, (i + 1.) / o->n, -1, 0, 0);
        a = mark;
    }
    bar_end();
    int failed = calibrate_say(&t, o->n, begin);
    if (o->out) ranks_csv(&st, o->out, t.bins);
    if (o->log) ranks_csv(&st, o->log, t.bins);
    if (o->png) ranks_png(o->png, o->n, t.bins, a);
    finish();
    return failed;
}
#endif
