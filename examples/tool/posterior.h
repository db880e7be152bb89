/* posterior.h -- given observations: what fd posterior and fd calibrate do, for fd.c.
 *
 *     problem   a prior (Gaussian, or a trained model), its process, observations of one function
 *     methods   draw n functions given the observations, by the name that --method says
 *     report    mean, deviation, misfit, diagnostics, the exact posterior beside where it is known
 *     calibrate ranks, coverage and scores over many functions whose truth is known */
#ifndef POSTERIOR_H
#define POSTERIOR_H
#include "common.h"
#include "plot.h"

/* ---- The problem ------------------------------------------------------------------------------ */

typedef struct {
    fd_space s;
    fd_process p;
    fd_model model;                        /* without observations */
    const fd_cov *c0;                      /* of a Gaussian prior, or NULL */
    const fd_real *mean;                   /* its mean, or that of the data of a model */
    const kit *k;                          /* NULL: a Gaussian prior */
    const double *t;                       /* [steps + 1] of the sampler */
    fd_obs o;
    double *y;
} problem;

/* problem_new -- from --model or --prior; without observations. */
static inline problem problem_new(fd_arena *a, args *o)
{
    problem q = { .k = NULL };
    if (o->model) {
        const kit *k = kit_load(a, o->model, NULL);
        if (is_given("prior")) die(2, "--prior: not with --model");
        k = kit_on(a, k, o->grid);
        q.k = k, q.s = k->s, q.p = k->p, q.model = k->model, q.mean = k->mean;
    } else {
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
        q.mean = mean;
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

/* ---- Observations from files and flags --------------------------------------------------------- */

enum { OBS_COLS = 8 };

/* obs_units -- y and sd of channel c at a place, in the units of the model. */
static inline void obs_units(const problem *q, int c, double center, double *y, double *sd)
{
    if (!q->k) return;
    const normal *v = &q->k->norm;
    *y = v->scale[c] * *y + v->shift[c] - center;
    *sd *= fabs(v->scale[c]);
}

/* obs_csv -- a header and a line per observation: x[, y[, z]], value[, channel][, sd]. */
static inline void obs_csv(fd_arena *a, problem *q, const char *path, double noise)
{
    static const char *const known[] = { "x", "y", "z", "value", "channel", "sd" };
    enum { VALUE = 3, CHANNEL, SD };
    FILE *f = fopen(path, "r");
    char line[1024];
    int col[OBS_COLS], cols = 0, at[COUNT(known)], nd = q->s.nd, m = 0, room = 0;
    if (!f) die(1, "%s: cannot open", path);
    if (!fgets(line, sizeof line, f)) die(1, "%s: it is empty", path);
    for (int i = 0; i < COUNT(known); i++) at[i] = -1;
    for (char *w = strtok(line, ", ;\t\r\n"); w; w = strtok(NULL, ", ;\t\r\n"), cols++) {
        int i = 0;
        if (cols == OBS_COLS) die(1, "%s: more than %d columns", path, OBS_COLS);
        while (i < COUNT(known) && strcmp(known[i], w)) i++;
        if (i == COUNT(known)) die(1, "%s: column '%s': expected x, y, z, value, channel or sd", path, w);
        if (at[i] >= 0) die(1, "%s: two columns '%s'", path, w);
        col[cols] = i, at[i] = cols;
    }
    for (int i = 0; i < 3; i++)
        if ((at[i] >= 0) != (i < nd)) die(1, "%s: a grid of %d axes needs the columns %s", path, nd,
                                          nd == 1 ? "x, value" : nd == 2 ? "x, y, value" : "x, y, z, value");
    if (at[VALUE] < 0) die(1, "%s: no column 'value'", path);
    while (fgets(line, sizeof line, f)) room++;
    rewind(f);
    if (!fgets(line, sizeof line, f) || !room) die(1, "%s: no observations", path);
    double *place = fd_raw(a, double, (ptrdiff_t)room * nd), *sd = fd_raw(a, double, room);
    int *ch = fd_raw(a, int, room);
    q->y = fd_raw(a, double, room);
    need(a->st);
    while (fgets(line, sizeof line, f)) {
        double v[COUNT(known)] = { 0 };
        char *p = line + strspn(line, " \t\r\n"), *end;
        if (!*p) continue;
        v[SD] = noise;
        for (int i = 0; i < cols; i++) {
            v[col[i]] = strtod(p, &end);
            if (end == p || !isfinite(v[col[i]]))
                die(1, "%s: line %d: '%s' is not a number", path, m + 2, known[col[i]]);
            p = end + strspn(end, ", ;\t\r\n");
        }
        if (*p) die(1, "%s: line %d: more than %d numbers", path, m + 2, cols);
        for (int i = 0; i < nd; i++) {
            place[m * nd + i] = v[i];
            if (!(v[i] >= 0 && v[i] <= q->s.len[i]))
                die(1, "%s: line %d: %s = %g is outside the domain, 0 to %g", path, m + 2, known[i], v[i], q->s.len[i]);
        }
        ch[m] = (int)v[CHANNEL];
        if (ch[m] != v[CHANNEL] || ch[m] < 0 || ch[m] >= q->s.ch)
            die(1, "%s: line %d: channel %g: there are 0 to %d", path, m + 2, v[CHANNEL], q->s.ch - 1);
        if (!(v[SD] >= 0)) die(1, "%s: line %d: sd is negative", path, m + 2);
        if (at[SD] >= 0 && !(v[SD] > 0)) die(1, "%s: line %d: sd must be above 0", path, m + 2);
        q->y[m] = v[VALUE], sd[m] = v[SD];
        m++;
    }
    fclose(f);
    q->o = fd_obs_points(a, &q->s, m, place, ch);
    need(a->st);
    double *center = fd_new(a, double, m);
    if (q->k && q->k->norm.center && center) q->o.apply(q->o.self, &q->s, 1, q->k->norm.center, center, *a);
    need(a->st);
    for (int i = 0; i < m; i++) obs_units(q, ch[i], center[i], &q->y[i], &sd[i]);
    if (at[SD] >= 0) fd_obs_noise_each(a, &q->o, sd);
    else if (q->k && q->s.ch > 1) {
        if (noise > 0) fd_obs_noise_each(a, &q->o, sd);
    } else fd_obs_noise(a, &q->o, sd[0]);
    need(a->st);
}

/* obs_spec -- what --observe says, the same places whatever the function; y is left to be drawn. */
enum { OBSERVE_POINTS, OBSERVE_COARSE, OBSERVE_BLUR };
static inline void obs_spec(fd_arena *a, problem *q, const spec *v, double noise, uint64_t seed)
{
    const fd_space *s = &q->s;
    if (v->row == OBSERVE_POINTS) {
        int m = (int)v->v[0];
        double *at = fd_raw(a, double, (ptrdiff_t)m * s->nd);
        fd_real *u = fd_raw(a, fd_real, (ptrdiff_t)m * s->nd);
        need(a->st);
        fd_uniform(fd_stream(fd_seed(seed), 'o', 0), (ptrdiff_t)m * s->nd, u);
        for (ptrdiff_t i = 0; i < (ptrdiff_t)m * s->nd; i++) at[i] = (double)u[i] * s->len[i % s->nd];
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
    q->y = fd_new(a, double, q->o.m);
    need(a->st);
}

/* ---- Methods ----------------------------------------------------------------------------------- */

/* in the order of t_method */
enum { METHOD_EXACT, METHOD_CONDITIONAL, METHOD_GUIDE, METHOD_PIGDM, METHOD_DPS, METHOD_PROJECT, METHOD_DENOISED, METHOD_FLAT,
       METHOD_SPLIT, METHOD_PARTICLES, METHOD_ESMDA, METHOD_LANGEVIN, METHOD_FUNDPS, METHOD_DIFFUSIONPDE, METHOD_DAPS, METHOD_ECI,
       METHOD_PCN, METHOD_MALA, METHOD_HMC, METHOD_SLICE, METHOD_WALK, METHOD_LATENT, METHOD_PRIOR };

typedef struct {
    int evals;                             /* evaluations of the model, or of the observation for chains */
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

static inline void method_noisy(const problem *q, const spec *m)
{
    if (!(q->o.sd > 0 || q->o.each || q->o.chol)) die(2, "--method: %s needs --noise above 0", m->t->rows[m->row].name);
}

/* method_plain -- for methods that follow what is observed of the noised state, or whose coupling is one number: with an m for
 * each mode the first is no function of y, and the second no multiple of C. */
static inline void method_plain(const problem *q, const spec *m)
{
    if (q->p.modal) die(2, "--method: %s is for processes of one m and v for all modes", m->t->rows[m->row].name);
}

/* method_run -- b functions by a sampler with moves between its steps. */
static inline void method_run(const problem *q, const args *o, const fd_sampler *how, int rule, fd_rng r, int first, int b,
                              fd_real *x, verdict *v, fd_arena a)
{
    const spec *m = &o->method;
    const int noisy = q->o.sd > 0 || q->o.each || q->o.chol, moves = rule == METHOD_PROJECT || rule == METHOD_DENOISED
                                                                  || rule == METHOD_FLAT;
    const int path_rule = rule == METHOD_PROJECT ? FD_PATH_BRIDGE + (int)method_value(m, "path") : FD_PATH_BRIDGE;
    const int correct = rule == METHOD_PROJECT ? (int)method_value(m, "corrector") : 0;
    ptrdiff_t n = b * fd_size(&q->s), bm = (ptrdiff_t)b * q->o.m;
    fd_obs bare = q->o;
    bare.sd = 0, bare.each = bare.chol = NULL;
    fd_gain *g = moves ? fd_gain_new(&a, rule == METHOD_FLAT ? &bare : &q->o, q->p.noise, NULL) : NULL;
    need_grid(a.st);
    double *y = fd_raw(&a, double, bm), *path = fd_new(&a, double, bm), *z = fd_raw(&a, double, bm);
    double *e = noisy && rule != METHOD_FLAT ? fd_raw(&a, double, bm) : NULL, *de = e ? fd_new(&a, double, bm) : NULL;
    fd_real *lots = fd_raw(&a, fd_real, bm), *xi = correct ? fd_raw(&a, fd_real, n) : NULL;
    fd_run *run = fd_begin(&a, how, r, first, b);
    need(a.st);
    for (ptrdiff_t i = 0; i < bm; i++) y[i] = q->y[i % q->o.m];
    for (int k = 0; moves && k <= how->steps; k++) {                 /* k = 0: the start */
        double from = k ? how->t[k - 1] : INFINITY, t = how->t[k];
        fd_coef f = fd_law(&q->p, t, 0);
        int end = k == how->steps;
        for (int i = 0; i < b; i++) fd_normal(fd_stream(fd_stream(r, 'q', (uint32_t)k), 'i', (uint32_t)(first + i)), q->o.m,
                                              lots + (ptrdiff_t)i * q->o.m);
        for (ptrdiff_t i = 0; i < bm; i++) z[i] = (double)lots[i];
        if (k && e) {
            for (int i = 0; i < b; i++) fd_normal(fd_stream(fd_stream(r, 'n', (uint32_t)k), 'i', (uint32_t)(first + i)), q->o.m,
                                                  lots + (ptrdiff_t)i * q->o.m);
            fd_arena own = a;
            double *ze = fd_raw(&own, double, bm);
            need(a.st);
            for (ptrdiff_t i = 0; i < bm; i++) ze[i] = (double)lots[i];
            fd_noise_step(how, &q->o, from, t, b, e, de, ze, own);
        }
        if (!k && e) {                                               /* e ~ N(0, v Gamma): noise on F(0) = 0 */
            fd_arena own = a;
            fd_real *zero = fd_new(&own, fd_real, n);
            need(a.st);
            fd_obs_draw(&q->o, fd_stream(r, 'e', 0), first, b, zero, e, own);
            for (ptrdiff_t i = 0; i < bm; i++) e[i] *= sqrt(f.v);
        }
        if (k) fd_step(run, a);
        need_grid(a.st);
        if (rule == METHOD_DENOISED) {
            if (k) fd_project_denoised(g, &q->p, t, b, y, run->d, de, run->x, e, a);
        } else {
            fd_path_move(g, &q->p, path_rule, from, t, b, y, z, path, a);
            if (rule == METHOD_FLAT) fd_project_flat(&bare, b, path, run->x, a);
            else fd_project(g, b, path, run->x, e, a);
            for (int c = 0; c < correct && k && !end && f.v > 0 && t <= method_value(m, "below") * q->p.tmax; c++) {
                fd_sampler fix = *how;
                fix.corrector = FD_CORRECT_SCALED, fix.cprm = method_value(m, "c");
                fd_cov_draw(q->p.noise, fd_stream(fd_stream(r, 'c', (uint32_t)k), 'j', (uint32_t)c), first, b, xi, a);
                fd_correct(&fix, t, b, run->x, xi, run->d, a);
                fd_project(g, b, path, run->x, e, a);
                v->evals += b;
            }
        }
        if (end && f.v > 0) {                                        /* the mean of what is left, observed */
            fd_arena own = a;
            double *tb = fd_raw(&own, double, b);
            need(a.st);
            for (int i = 0; i < b; i++) tb[i] = t;
            fd_predict(&q->model, FD_X0, &q->p, b, run->x, tb, run->d, own);
            memcpy(run->x, run->d, (size_t)n * sizeof *x);
            for (ptrdiff_t i = 0; i < bm && e; i++) e[i] *= f.m / (f.m * f.m + f.v);
            if (rule == METHOD_FLAT) fd_project_flat(&bare, b, y, run->x, a);
            else fd_project(g, b, y, run->x, e, a);
        }
        need(a.st);
    }
    while (!moves && fd_step(run, a)) { }
    need_grid(a.st);
    memcpy(x, run->x, (size_t)n * sizeof *x);
}

/* method_released -- b functions by the steps of FunDPS, DiffusionPDE, DAPS, ECI, named as released. */
static inline void method_released(const problem *q, const args *o, const fd_sampler *how, fd_rng r, int first, int b, fd_real *x,
                                   fd_arena a)
{
    const spec *m = &o->method;
    const int rule = m->row;
    const ptrdiff_t n = b * fd_size(&q->s);
    fd_released g = { .how = *how, .o = &q->o, .y = q->y, .zeta = method_value(m, "zeta") };
    fd_daps level = { .how = *how, .inner = (int)method_value(m, "inner"), .plain = (int)method_value(m, "plain") };
    const int flow = (int)method_value(m, "flow"), noise = (int)method_value(m, "noise");
    g.rule = rule == METHOD_DIFFUSIONPDE ? FD_DIFFUSIONPDE : FD_FUNDPS + (int)method_value(m, "loss");
    fd_obs bare = q->o;
    bare.sd = 0, bare.each = bare.chol = NULL;
    fd_real *eps = fd_raw(&a, fd_real, n), *zero = fd_new(&a, fd_real, n);
    double *y = fd_raw(&a, double, (ptrdiff_t)b * q->o.m), *tb = fd_raw(&a, double, b), *t = fd_raw(&a, double, flow + 1);
    double *one = fd_raw(&a, double, q->s.modes);
    need(a.st);
    for (ptrdiff_t k = 0; k < q->s.modes; k++) one[k] = 1;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * q->o.m; i++) y[i] = q->y[i % q->o.m];
    const fd_cov *white = fd_cov_table(&a, &q->s, one);
    const fd_gain *gain = rule == METHOD_ECI ? fd_gain_new(&a, &bare, method_value(m, "norm") > 0 ? q->p.noise : white, NULL) : NULL;
    if (rule == METHOD_DAPS) level.phi = fd_obs_potential(&a, &q->o, q->y);
    for (int i = 0; i < b; i++) tb[i] = how->t[0];
    fd_perturb(&q->p, r, first, b, zero, tb, x, eps, a);             /* the start, and the noise in it */
    need_grid(a.st);
    for (int k = 0; k < how->steps; k++) {
        double from = how->t[k], to = how->t[k + 1];
        if (rule == METHOD_ECI) {
            if (noise == 1) fd_cov_draw(q->p.noise, fd_stream(r, 'f', (uint32_t)k), first, b, eps, a);
            fd_eci_step(&q->p, &q->model, gain, y, from, to, b, x, noise == 2 ? NULL : eps, a);
        } else if (rule == METHOD_DAPS) {
            fd_process part = q->p;
            fd_coef f = fd_law(&q->p, from, 0);
            double h = method_value(m, "h"), s2 = f.v / (f.m * f.m);
            part.tmax = from, part.tmin = how->t[how->steps];
            fd_times(&part, FD_RHO, 0, flow, t, a.st);
            level.how.t = t, level.how.steps = flow, level.how.scheme = FD_DDIM, level.how.eta = 0, level.how.p = &q->p;
            level.h = h / (1 + h / s2);
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

/* method_chain -- n functions of chains after burn-in, evenly thinned. */
static inline void method_chain(const problem *q, const args *o, int kind, fd_rng r, int n, fd_real *x, verdict *v, fd_arena a)
{
    const spec *m = &o->method;
    const int latent = o->method.row == METHOD_LATENT, chains = (int)method_value(m, "chains");
    const int steps = (int)method_value(m, "steps"), burn = (int)method_value(m, "burn");
    const ptrdiff_t size = fd_size(&q->s);
    fd_potential phi = fd_obs_potential(&a, &q->o, q->y);
    fd_cov start;
    fd_mcmc how = { .prior = q->c0, .mean = q->mean, .phi = phi, .kind = kind, .h = method_value(m, "h"),
                    .leaps = (int)method_value(m, "leaps"), .adapt = burn };
    fd_sampler flow = { .p = &q->p, .model = q->model, .t = q->t, .steps = o->steps, .scheme = FD_DDIM, .denoise = 1 };
    if (kind == FD_MCMC_SLICE) how.h = 1;
    if (latent) {                                                    /* prior of the start: N(0, v C) */
        double *lam = fd_raw(&a, double, q->s.modes);
        need(a.st);
        for (ptrdiff_t k = 0; k < q->s.modes; k++) lam[k] = fd_law(&q->p, q->t[0], k).v * q->p.noise->lam[k];
        start = (fd_cov){ .s = q->s, .lam = lam };
        how.prior = &start, how.mean = NULL;
        how.phi = fd_latent_potential(&a, &flow, &phi);
    }
    need(a.st);
    double *series = fd_raw(&a, double, (ptrdiff_t)chains * steps), ess = INFINITY, rhat = 0;
    need(a.st);
    long long moved = 0, calls = 0;
    int got = 0;
    for (int c = 0; c < chains; c++) {
        fd_arena own = a;
        fd_chain *chain = fd_chain_begin(&own, &how, r, c, NULL);
        need(a.st);
        for (int i = 0; i < burn; i++) fd_chain_step(chain, own);
        long long before = chain->accepted;
        for (int i = 0; i < steps; i++) {
            fd_chain_step(chain, own);
            need(a.st);
            series[c * steps + i] = chain->phi;
            int want = (int)((double)n * ((double)c * steps + i + 1) / ((double)chains * steps));
            for (; got < want; got++) fd_chain_get(chain, x + got * size);
            if (isatty(2) && i % 64 == 0) progress("chain", c + 1, (c + (double)i / steps) / chains, chain->phi, 0, 0);
        }
        moved += chain->accepted - before, calls += chain->calls;
    }
    bar_end();
    ess = fd_ess(chains, steps, series, a), rhat = fd_rhat(chains, steps, series, a);
    *v = (verdict){ (int)calls, ess, rhat, (double)moved / ((double)chains * steps), NAN };
    if (latent)
        for (int i = 0; i < n; i++) {                                /* the functions that the starts make */
            fd_arena own = a;
            fd_run *run = fd_begin(&own, &flow, r, 0, 1);
            need(a.st);
            memcpy(run->x, x + i * size, (size_t)size * sizeof *x);
            while (fd_step(run, own)) { }
            need_grid(a.st);
            memcpy(x + i * size, run->x, (size_t)size * sizeof *x);
        }
}

/* prior_draw -- n functions without observations: of the Gaussian, or what the sampler makes of the model. */
static inline void prior_draw(const problem *q, const fd_sampler *how, fd_rng r, int n, fd_real *x, fd_arena a)
{
    const ptrdiff_t size = fd_size(&q->s);
    if (!q->c0) { fd_sample(how, r, 0, n, x, a); return; }
    fd_cov_draw(q->c0, r, 0, n, x, a);
    for (ptrdiff_t i = 0; i < n * size; i++) x[i] += q->mean[i % size];
}

/* posterior_draw -- n functions given q->y by o->method. */
static inline verdict posterior_draw(const problem *q, const args *o, fd_rng r, int n, fd_real *x, fd_arena a)
{
    const spec *m = &o->method;
    const int rule = m->row;
    const ptrdiff_t size = fd_size(&q->s);
    verdict v = { 0, NAN, NAN, NAN, NAN };
    fd_sampler how = { .p = &q->p, .model = q->model, .t = q->t, .steps = o->steps, .scheme = o->scheme.row, .eta = o->eta,
                       .denoise = 1, .evals = &v.evals };
    if (q->k) how.mean = q->mean;
    switch (rule) {
    case METHOD_EXACT: {
        method_gauss(q, m);
        fd_posterior *p = fd_posterior_new(&a, q->mean, q->c0, &q->o, q->y);
        need_grid(a.st);
        fd_posterior_draw(p, r, 0, n, x, a);
        v.evidence = p->evidence;
        break;
    }
    case METHOD_ESMDA:
        method_noisy(q, m);
        prior_draw(q, &how, r, n, x, a);
        for (int i = 0, steps = (int)method_value(m, "steps"); i < steps && !a.st->code; i++)
            fd_esmda(&q->o, q->y, steps, fd_stream(r, 'e', (uint32_t)i), n, x, a);
        break;
    case METHOD_PARTICLES: {
        method_noisy(q, m), method_plain(q, m);
        static const int rules[] = { 0, FD_GUIDE_PIGDM, FD_GUIDE_DPS };
        fd_guide guide = { .o = &q->o, .y = q->y, .rule = rules[(int)method_value(m, "guide")], .zeta = method_value(m, "zeta") };
        how.denoise = 1;
        fd_particles *p = fd_particles_begin(&a, &how, &guide, r, n);
        need(a.st);
        while (fd_particles_step(p, a)) { }
        need_grid(a.st);
        v.evidence = fd_particles_evidence(p), v.ess = fd_particles_ess(p), v.evals = n * (o->steps + 1);
        fd_particles_resample(p, a);
        memcpy(x, p->run->x, (size_t)(n * size) * sizeof *x);
        break;
    }
    case METHOD_SPLIT: {
        method_plain(q, m);
        double rho = method_value(m, "rho");
        int sweeps = (int)method_value(m, "sweeps");
        fd_gain *g = fd_gain_new(&a, &q->o, q->p.noise, NULL);
        double *t = fd_raw(&a, double, o->steps + 1);
        need_grid(a.st);
        fd_sample(&how, r, 0, n, x, a);
        for (int i = 0; i < sweeps && !a.st->code; i++) {             /* rho falls from 1 in the first half */
            double now = 2 * i < sweeps ? pow(rho, 2. * i / sweeps) : rho;
            fd_process part = q->p;
            part.tmax = fd_time_at(&q->p, now);
            fd_times(&part, FD_LOGSNR, 0, o->steps, t, a.st);
            how.t = t;
            double at = fd_law(&q->p, t[0], 0).m;
            fd_split_gibbs(&how, g, q->y, sqrt(fd_law(&q->p, t[0], 0).v) / at, fd_stream(r, 'w', (uint32_t)i), 0, n, x, a);
        }
        break;
    }
    case METHOD_LANGEVIN: {
        method_noisy(q, m);
        fd_potential phi = fd_obs_potential(&a, &q->o, q->y);
        fd_real *xi = fd_raw(&a, fd_real, n * size);
        need(a.st);
        int inner = (int)method_value(m, "inner");
        fd_cov_draw(q->p.noise, r, 0, n, x, a);
        for (int k = 0; k <= o->steps && !a.st->code; k++)
            for (int i = 0; i < inner && !a.st->code; i++, v.evals += n) {
                if (!(fd_law(&q->p, q->t[k], 0).v > 0)) continue;
                fd_cov_draw(q->p.noise, fd_stream(fd_stream(r, 'L', (uint32_t)k), 'i', (uint32_t)i), 0, n, xi, a);
                fd_langevin(&q->p, &q->model, &phi, q->t[k], method_value(m, "h"), 1, n, x, xi, a);
            }
        break;
    }
    case METHOD_FUNDPS: case METHOD_DIFFUSIONPDE: case METHOD_DAPS: case METHOD_ECI:
        method_plain(q, m);
        if (rule == METHOD_DAPS) method_noisy(q, m);
        for (int i = 0; i < n; i += o->batch)
            method_released(q, o, &how, r, i, n - i < o->batch ? n - i : o->batch, x + i * size, a);
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
        if (rule == METHOD_PROJECT || rule == METHOD_DENOISED || rule == METHOD_FLAT) method_plain(q, m);
        if (rule == METHOD_DENOISED && !is_given("scheme")) how.scheme = FD_DDIM;
        if (rule == METHOD_PROJECT || rule == METHOD_DENOISED || rule == METHOD_FLAT) {
            how.denoise = 0;
            if (how.scheme >= FD_ONE_STAGE)
                die(2, "--method: %s needs a one-stage scheme: --scheme ancestral, ddim, euler-maruyama, ..", m->t->rows[rule].name);
        }
        if (rule == METHOD_CONDITIONAL) {
            method_gauss(q, m);
            how.model = fd_oracle_posterior(&a, &q->p, 1, NULL, q->mean, &q->c0, &q->o, q->y);
        }
        if (rule == METHOD_GUIDE || rule == METHOD_PIGDM || rule == METHOD_DPS) {
            fd_guide *g = fd_new(&a, fd_guide, 1);
            need(a.st);
            *g = (fd_guide){ .p = &q->p, .model = q->model, .o = &q->o, .y = q->y, .rule = FD_GUIDE_EXACT + rule - METHOD_GUIDE,
                             .zeta = method_value(m, "zeta"), .plain = (int)method_value(m, "plain") };
            if (rule == METHOD_DPS) method_noisy(q, m);
            how.model = fd_guided(&a, g);
        }
        need(a.st);
        for (int i = 0; i < n; i += o->batch)
            method_run(q, o, &how, rule, r, i, n - i < o->batch ? n - i : o->batch, x + i * size, &v, a);
    }
    need_grid(a.st);
    return v;
}

/* ---- Report ------------------------------------------------------------------------------------ */

/* moments_of -- pointwise mean and deviation of n functions. */
static inline void moments_of(ptrdiff_t size, int n, const fd_real *x, fd_real *mean, fd_real *sd)
{
    for (ptrdiff_t j = 0; j < size; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < n; i++) m += (double)x[i * size + j] / n;
        for (int i = 0; i < n; i++) v += ((double)x[i * size + j] - m) * ((double)x[i * size + j] - m) / (n > 1 ? n - 1 : 1);
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
    for (ptrdiff_t i = 0; i < n; i++) sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sqrt(sum / n);
}

/* misfit_of -- root mean square of (A x - y)/sd, or of A x - y without noise, over n functions. */
static inline double misfit_of(const problem *q, int n, const fd_real *x, fd_arena a)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += 2 * fd_obs_misfit(&q->o, q->y, x + i * fd_size(&q->s), NULL, a) / q->o.m;
    return sqrt(sum / n);
}

/* posterior_png -- one axis: mean, two deviations, the exact ones, some draws; more axes: mean, deviation, draws. */
static inline void posterior_png(const char *path, const problem *q, int n, const fd_real *x, const fd_real *mean,
                                 const fd_real *sd, const fd_real *em, const fd_real *es, int map, fd_arena a)
{
    const fd_space *s = &q->s;
    const ptrdiff_t size = fd_size(s);
    if (s->nd > 1) {
        int show = n < 4 ? n : 4, all = 2 + 2 * (em != NULL) + show;
        double lo, hi;
        fd_real *y = fd_raw(&a, fd_real, all * size);
        need(a.st);
        const fd_real *first[4] = { mean, em ? em : sd, sd, es };
        for (int i = 0; i < 2 + 2 * (em != NULL); i++) memcpy(y + i * size, first[i], (size_t)size * sizeof *y);
        memcpy(y + (2 + 2 * (em != NULL)) * size, x, (size_t)(show * size) * sizeof *y);
        range(all * size, y, &lo, &hi);
        sheet(a.st, path, s, all, all, y, lo, hi, map, a);
        return;
    }
    enum { SHOW = 5 };
    const int N = s->n[0];
    plot p;
    double *at = fd_raw(&a, double, N), *v = fd_raw(&a, double, (ptrdiff_t)(6 + SHOW) * N);
    need(a.st);
    for (int i = 0; i < N; i++) at[i] = fd_coord(s, 0, i);
    for (int k = 0; k < 6 + SHOW; k++)
        for (int i = 0; i < N; i++) {
            const fd_real *m = k < 3 ? mean : em ? em : mean, *d = k < 3 ? sd : es ? es : sd;
            v[k * N + i] = k < 6 ? (double)m[i] + 2 * (k % 3 - 1) * (double)d[i] : (double)x[(k - 6) * size + i];
        }
    plot_begin(&p, 900, 600, "given the observations", "x", "function", 0, 0);
    for (int k = 0; k < SHOW && k < n; k++) plot_line(&p, N, at, v + (6 + k) * N, k ? "" : "draws", PLOT_DASHED);
    plot_line(&p, N, at, v + N, "mean", PLOT_SOLID);
    plot_line(&p, N, at, v, "mean - 2 sd", PLOT_SOLID);
    plot_line(&p, N, at, v + 2 * N, "mean + 2 sd", PLOT_SOLID);
    if (em) plot_line(&p, N, at, v + 4 * N, "exact mean", PLOT_POINTS);
    plot_save(a.st, &p, path, a);
    need(a.st);
    wrote(path);
}

static int do_posterior(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    if (!o->obs) die(2, "needs --obs");
    problem q = problem_new(&a, o);
    const ptrdiff_t size = fd_size(&q.s);
    obs_csv(&a, &q, o->obs, o->noise);
    fd_real *x = fd_raw(&a, fd_real, o->n * size), *mean = fd_raw(&a, fd_real, 4 * size);
    need(&st);
    fd_real *sd = mean + size, *em = NULL, *es = NULL;
    double begin = now();
    verdict v = posterior_draw(&q, o, fd_seed(o->seed), o->n, x, a);
    double spent = now() - begin, prior = 0;
    moments_of(size, o->n, x, mean, sd);
    char grid[64];
    printf("%d observations%s; %d functions on %s by %s\n", q.o.m, q.o.sd > 0 || q.o.each ? "" : " without noise", o->n,
           grid_text(&q.s, grid), o->method.t->rows[o->method.row].name);
    printf("mean: size %.4g; deviation: %.4g\n", size_of(size, mean), size_of(size, sd));
    printf("misfit at the observations, in %s: of the draws %.4g, of their mean %.4g\n",
           q.o.sd > 0 || q.o.each ? "deviations" : "units", misfit_of(&q, o->n, x, a), misfit_of(&q, 1, mean, a));
    if (q.c0) {
        fd_posterior *p = fd_posterior_new(&a, q.mean, q.c0, &q.o, q.y);
        need_grid(&st);
        em = p->mean, es = mean + 2 * size;
        fd_posterior_std(p, es, a);
        fd_cov_std(q.c0, mean + 3 * size, a);
        need(&st);
        prior = size_of(size, mean + 3 * size);
        printf("exact: mean of size %.4g, deviation %.4g (prior %.4g), log p(y) %.6g\n", size_of(size, em),
               size_of(size, es), prior, p->evidence);
        printf("error of the mean %.3g, of the deviation %.3g, relative to the exact ones (chance alone: about %.2g, %.2g)\n",
               apart(size, mean, em) / size_of(size, em), apart(size, sd, es) / size_of(size, es),
               size_of(size, es) / size_of(size, em) / sqrt(o->n), sqrt(.5 / o->n));
    }
    if (isfinite(v.evidence) && o->method.row == METHOD_PARTICLES) printf("log p(y) of the particles %.6g\n", v.evidence);
    if (isfinite(v.rate)) printf("acceptance %.3f, effective samples of the misfit %.4g, split R-hat %.4f\n", v.rate, v.ess, v.rhat);
    else if (isfinite(v.ess)) printf("effective samples %.4g\n", v.ess);
    printf("%d evaluations, %.2f s\n", v.evals, spent);
    if (q.k) to_file(&q.k->norm, &q.s, o->n, x);
    functions_save(a, o->out, &q.s, q.k ? q.k->axes : AXES_NONE, o->n, x);
    if (q.k) {
        for (ptrdiff_t i = 0; i < size; i++) sd[i] = (fd_real)((double)sd[i] / fabs(q.k->norm.scale[i / q.s.points]));
        to_file(&q.k->norm, &q.s, 1, mean);
    }
    if (o->png) posterior_png(o->png, &q, o->n, x, mean, sd, em, es, o->map.row, a);
    return finish();
}

/* ---- Calibration ------------------------------------------------------------------------------- */

enum { FUNCTIONALS = 8, BINS = 8 };
typedef struct { double v[FUNCTIONALS]; } features;
static const char *const functional_name[FUNCTIONALS] = { "value at 1/4", "value at 1/2", "value at 3/4", "mode 0", "mode 1", "mode 2",
                                                          "mode 3", "norm" };

static inline void functionals(const fd_space *s, const fd_real *x, double f[FUNCTIONALS], fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, fd_size(s));
    need(a.st);
    fd_to_modes(s, 1, x, u, a);
    for (int i = 0; i < 3; i++) f[i] = (double)x[(i + 1) * s->points / 4];
    for (int i = 0; i < 4; i++) f[3 + i] = i < s->modes ? (double)u[i] : 0;
    f[7] = sqrt(fd_inner(s, x, x));
}

/* upper_gamma -- P(X > x) of chi^2 with k degrees of freedom, by Wilson and Hilferty's normal: three digits. */
static inline double chi2_tail(double x, int k)
{
    double v = 2. / (9 * k), z = (pow(x / k, 1. / 3) - (1 - v)) / sqrt(v);
    return .5 * erfc(z / sqrt(2));
}

static int do_calibrate(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    problem q = problem_new(&a, o);
    const ptrdiff_t size = fd_size(&q.s);
    const int L = o->draws;
    obs_spec(&a, &q, &o->observe, o->noise, o->seed);
    fd_real *truth = fd_raw(&a, fd_real, size), *x = fd_raw(&a, fd_real, (L + 1) * size), *other = fd_raw(&a, fd_real, L * size);
    features *f = fd_raw(&a, features, L);
    need(&st);
    double crps = 0, crps0 = 0, energy = 0, energy0 = 0, cover[2] = { 0, 0 }, var = 0, var0 = 0, begin = now();
    double mid[FUNCTIONALS] = { 0 }, sq[FUNCTIONALS] = { 0 };
    int bins[FUNCTIONALS][BINS] = { { 0 } };
    spec asked = o->method;
    for (int i = 0; i < o->n; i++) {
        fd_rng r = fd_stream(fd_seed(o->seed), 'C', (uint32_t)i);
        double want[FUNCTIONALS];
        o->method.row = METHOD_PRIOR;                                /* truth, and draws of the prior to compare with */
        posterior_draw(&q, o, fd_stream(r, 't', 0), L, other, a);
        memcpy(truth, other, (size_t)size * sizeof *truth);
        posterior_draw(&q, o, fd_stream(r, 'p', 0), L, other, a);
        o->method = asked;
        fd_obs_draw(&q.o, fd_stream(r, 'y', 0), 0, 1, truth, q.y, a);
        posterior_draw(&q, o, fd_stream(r, 'x', 0), L, x, a);
        functionals(&q.s, truth, want, a);
        for (int k = 0; k < L; k++) functionals(&q.s, x + k * size, f[k].v, a);
        for (int j = 0; j < FUNCTIONALS; j++) {
            int rank = 0;
            double m = 0;
            for (int k = 0; k < L; k++) rank += f[k].v[j] < want[j], m += f[k].v[j] / L;
            bins[j][rank * BINS / (L + 1)]++;
            double u = (rank + .5) / (L + 1);
            cover[0] += (u > .25 && u < .75) / (double)FUNCTIONALS / o->n;
            cover[1] += (u > .05 && u < .95) / (double)FUNCTIONALS / o->n;
            mid[j] += want[j] / o->n, sq[j] += want[j] * want[j] / o->n;
            for (int k = 0; k < L; k++) var += j < 3 ? (f[k].v[j] - m) * (f[k].v[j] - m) / (L - 1.) / o->n : 0;
        }
        crps += fd_crps(&q.s, L, x, truth, a) / o->n, crps0 += fd_crps(&q.s, L, other, truth, a) / o->n;
        for (int k = 0; k < L; k++) {                                /* |X - x*| - 1/2 |X - X'| */
            energy += apart(size, x + k * size, truth) / L / o->n - .5 * apart(size, x + k * size, x + (k + 1) % L * size) / L / o->n;
            energy0 += apart(size, other + k * size, truth) / L / o->n
                     - .5 * apart(size, other + k * size, other + (k + 1) % L * size) / L / o->n;
        }
        if (isatty(2)) progress("function", i + 1, (i + 1.) / o->n, -1, 0, 0);
    }
    bar_end();
    for (int j = 0; j < 3; j++) var0 += sq[j] - mid[j] * mid[j];
    double least = 1;
    printf("%-14s %8s   ranks in %d bins\n", "functional", "p-value", BINS);
    for (int j = 0; j < FUNCTIONALS; j++) {
        double chi = 0, each = (double)o->n / BINS;
        for (int k = 0; k < BINS; k++) chi += (bins[j][k] - each) * (bins[j][k] - each) / each;
        double p = chi2_tail(chi, BINS - 1);
        least = fmin(least, p);
        printf("%-14s %8.2g  ", functional_name[j], p);
        for (int k = 0; k < BINS; k++) printf(" %3d", bins[j][k]);
        printf("\n");
    }
    printf("coverage of the central 50 %%: %.3f, of 90 %%: %.3f\n", cover[0], cover[1]);
    printf("CRPS %.4g, of the prior %.4g; energy score %.4g, of the prior %.4g\n", crps, crps0, energy, energy0);
    printf("contraction: variance given the observations over that before: %.3f\n", var / var0);
    int uneven = least < .01 / FUNCTIONALS, idle = !(crps < .98 * crps0);
    printf("%s (%.1f s)\n", uneven ? "NOT CALIBRATED: the ranks are not uniform"
                          : idle ? "NOT CALIBRATED: no better than the prior, which ranks and coverage cannot see"
                          : "calibrated, as far as so many functions can tell", now() - begin);
    if (o->out) {
        double rows[FUNCTIONALS][BINS];
        char head[BINS][16];
        const char *names[BINS];
        for (int k = 0; k < BINS; k++) sprintf(head[k], "bin%d", k), names[k] = head[k];
        for (int j = 0; j < FUNCTIONALS; j++) for (int k = 0; k < BINS; k++) rows[j][k] = bins[j][k];
        fd_csv_save(&st, o->out, BINS, names, FUNCTIONALS, rows[0]);
        need(&st);
        wrote(o->out);
    }
    finish();
    return uneven || idle;
}
#endif
