/* cases_interpolants.h -- cases of fd vectors: stochastic interpolants, paths between two laws of
 * data. */
#ifndef CASES_INTERPOLANTS_H
#define CASES_INTERPOLANTS_H
#include "loops.h"

/* ---- x = A x0 + B x1 + G z ------------------------------------------------------------------- */

enum { MID_B = 4, MID_STEPS = 4, MID_LINEAR, MID_TRIG };
typedef struct { double v[3], d[3]; } mid_coef;               /* A, B, G and their derivatives */

static inline mid_coef mid_law(int kind, double g, double r)
{
    const double w = TURN / 2, a = kind == MID_TRIG ? w / 2 * r : 0, root = sqrt(r * (1 - r));
    if (kind == MID_TRIG)
        return (mid_coef){ { cos(a), sin(a), g * root },
                           { -w / 2 * sin(a), w / 2 * cos(a), g * (1 - 2 * r) / (2 * root) } };
    return (mid_coef){ { 1 - r, r, g * pow(sin(w * r), 2) }, { -1, 1, g * w * sin(2 * w * r) } };
}

/* The trigonometric path as the library takes it. */
static inline double mid_A(double r, const void *g, double *d)
{
    mid_coef c = mid_law(MID_TRIG, *(const double *)g, r);
    *d = c.d[0];
    return c.v[0];
}
static inline double mid_B(double r, const void *g, double *d)
{
    mid_coef c = mid_law(MID_TRIG, *(const double *)g, r);
    *d = c.d[1];
    return c.v[1];
}
static inline double mid_G(double r, const void *g, double *d)
{
    mid_coef c = mid_law(MID_TRIG, *(const double *)g, r);
    *d = c.d[2];
    return c.v[2];
}
static inline fd_interpolant mid_path(const fd_cov *noise, int kind, const double *g)
{
    if (kind == MID_TRIG) return (fd_interpolant){ noise, mid_A, mid_B, mid_G, g, 0 };
    return (fd_interpolant){ noise, NULL, NULL, NULL, NULL, *g };
}
static inline void mid_params(casebook *q, int kind, double g)
{
    param_text(q, "path", kind == MID_TRIG ? "trigonometric" : "linear");
    param(q, "g", g);
}

/* mid_wrong -- the path by a fault. */
static inline mid_coef mid_wrong(const char *id, int kind, double g, double r)
{
    mid_coef c = mid_law(kind, g, r);
    if (!strcmp(id, "ends-swapped")) {
        mid_coef o = c;
        for (int i = 0; i < 2; i++) c.v[i] = o.v[1 - i], c.d[i] = o.d[1 - i];
    }
    if (!strcmp(id, "no-noise")) c.v[2] = c.d[2] = 0;
    if (!strcmp(id, "noise-slope")) c.d[2] = 0;
    if (!strcmp(id, "variance")) c.v[2] *= c.v[2];
    if (!strcmp(id, "deviation")) c.v[2] = sqrt(c.v[2]);
    return c;
}

/* mid_draw_case -- x and the velocity that a network should say, of given ends and noise. */
static inline void mid_draw_case(casebook *q, int kind, double g, int n)
{
    static const char *const wrong[] = { "", "ends-swapped", "no-noise", "noise-slope", "variance",
                                         "deviation", "other-direction" };
    const double r[MID_B] = { .1, .35, .6, .93 };
    const int dims[2] = { MID_B, n }, b = MID_B;
    double x[MID_B * LOOP_N], u[MID_B * LOOP_N];
    case_begin(q, VALID, "[Albergo et al. eqs. 2.1, 2.10]", n % 2 ? "OddGrid" : "",
               "x = A x0 + B x1 + G z of the %s path, and its velocity A' x0 + B' x1 + G' z",
               kind == MID_TRIG ? "trigonometric" : "linear");
    param_text(q, "want", "draw");
    mid_params(q, kind, g);
    fd_space s = fd_grid(&q->mem, 1, &n, NULL, NULL, 1);
    const fd_cov *noise = fd_cov_matern(&q->mem, &s, 1, .3, .5);
    fd_interpolant p = mid_path(noise, kind, &g);
    const fd_real *x0 = normals(q, b * n), *x1 = normals(q, b * n);
    fd_real *z = fd_raw(&q->mem, fd_real, b * n), *y = fd_raw(&q->mem, fd_real, b * n);
    fd_real *v = fd_raw(&q->mem, fd_real, b * n);
    need(q->mem.st);
    fd_interpolant_draw(&p, fd_stream(fd_seed(q->seed), 'M', (uint32_t)q->number), 0, b, x0, x1, r,
                        y, z, q->mem);
    fd_interpolant_target(&p, FD_VELOCITY, b, x0, x1, z, r, v, q->mem);
    need(q->mem.st);
    put_in(q, "x0", 2, dims, x0), put_in(q, "x1", 2, dims, x1), put_in(q, "z", 2, dims, z);
    put_in_d(q, "r", 1, &b, r);
    for (int f = 0; f < COUNT(wrong); f++) {
        for (int i = 0; i < b * n; i++) {
            mid_coef c = mid_wrong(wrong[f], kind, g, r[i / n]);
            const double of[3] = { (double)x0[i], (double)x1[i], (double)z[i] };
            x[i] = c.v[0] * of[0] + c.v[1] * of[1] + c.v[2] * of[2];
            u[i] = c.d[0] * of[0] + c.d[1] * of[1] + c.d[2] * of[2];
            if (!strcmp(wrong[f], "other-direction")) u[i] = -u[i];
        }
        if (f) fault(q, wrong[f], "x", x), fault(q, wrong[f], "u", u);
        else {
            agree(q, b * n, y, x), agree(q, b * n, v, u);
            put_out(q, "x", 2, dims, y), put_out(q, "u", 2, dims, v);
        }
    }
    case_end(q);
}

/* ---- The exact model of independent Gaussian ends -------------------------------------------- */

typedef struct {
    loop l;                                         /* basis, noise, and the first end: c, mean */
    loop_set w;
    fd_cov *c1;
    fd_real *mean1;
    double c[LOOP_N], mean[LOOP_N];                 /* of the second end */
    int kind;
    double g;
} mid_ends;

static inline void mid_ends_put(casebook *q, mid_ends *m, int n, int kind, double g)
{
    memset(m, 0, sizeof *m);
    m->kind = kind, m->g = g;
    m->w = loop_line(q, &m->l, n);
    mid_params(q, kind, g);
    m->c1 = fd_cov_matern(&q->mem, &m->w.s, .8, .25, 2.5);
    m->mean1 = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    for (int i = 0; i < n; i++) m->mean1[i] = (fd_real)(-.3 + .6 * sin(TURN * i / n));
    put_in_d(q, "c1", 1, &n, m->c1->lam);
    put_in(q, "mean1", 1, &n, m->mean1);
    for (int k = 0; k < n; k++) m->c[k] = (double)q->in[q->ins - 2].x[k];
    loop_coefs(&m->l, 1, m->mean1, &m->mean);
}

/* mid_says -- u and e at x, r, by the fault m->l.id; s = -e/G. */
static inline void mid_says(const mid_ends *m, double r, const double *x, double *u, double *e)
{
    const loop *l = &m->l;
    mid_coef f = mid_wrong(l->id, m->kind, m->g, r);
    for (int k = 0; k < l->n; k++) {
        double M = f.v[0] * l->mean[k] + f.v[1] * m->mean[k], dM = f.d[0] * l->mean[k]
                 + f.d[1] * m->mean[k];
        double P = f.v[0] * f.v[0] * l->c[k] + f.v[1] * f.v[1] * m->c[k]
                 + f.v[2] * f.v[2] * l->lam[k];
        double S = f.v[0] * f.d[0] * l->c[k] + f.v[1] * f.d[1] * m->c[k]
                 + f.v[2] * f.d[2] * l->lam[k];
        if (has(l, "centred")) M = dM = 0;
        u[k] = dM + (P > 0 ? S / P * (x[k] - M) : 0);
        e[k] = P > 0 ? f.v[2] * l->lam[k] / P * (x[k] - M) : 0;
        if (has(l, "other-direction")) u[k] = -u[k];
        if (has(l, "sign")) e[k] = -e[k];
    }
}

static inline void mid_model_case(casebook *q, int kind, double g, int n)
{
    static const char *const wrong[] = { "", "ends-swapped", "centred", "noise-slope",
                                         "other-direction", "sign", "noise-as-score" };
    const double r[MID_B] = { .15, .4, .7, .9 };
    const int dims[2] = { MID_B, n }, b = MID_B;
    double at[MID_B][LOOP_N], y[3][MID_B][LOOP_N];
    static const char *const name[3] = { "u", "e", "s" };
    mid_ends m;
    case_begin(q, VALID, "[Albergo et al. eqs. 2.14, 2.17, 4.3-4.5]", n % 2 ? "OddGrid Modal"
               : "Nyquist Modal", "velocity u, noise e and score s = -e/G (C grad log p) for "
               "independent Gaussian ends");
    q->tol *= 5;
    param_text(q, "want", "model");
    mid_ends_put(q, &m, n, kind, g);
    const fd_real *x = loop_functions(q, &m.l, "x", b, at);
    put_in_d(q, "r", 1, &b, r);
    fd_interpolant p = mid_path(m.w.noise, kind, &m.g);
    for (int f = 0; f < COUNT(wrong); f++) {
        m.l.id = wrong[f];
        for (int i = 0; i < b; i++) {
            double G = has(&m.l, "noise-as-score") ? 1 : mid_law(kind, g, r[i]).v[2];
            mid_says(&m, r[i], at[i], y[0][i], y[1][i]);
            for (int k = 0; k < n; k++) y[2][i][k] = -y[1][i][k] / G;
        }
        for (int o = 0; o < 3; o++) {
            const fd_real *z = loop_points(q, &m.l, b, y[o]);
            if (f) put_other(q, 0, wrong[f], name[o], z);
            else put_out(q, name[o], 2, dims, z);
        }
        if (f) continue;
        for (int o = 0; o < 2; o++) {
            fd_model says = fd_oracle_interpolant(&q->mem, &p, o ? FD_NOISE : FD_VELOCITY,
                                                  m.w.mean, m.w.data, m.mean1, m.c1);
            fd_real *z = fd_raw(&q->mem, fd_real, b * n);
            double want[MID_B * LOOP_N];
            need(q->mem.st);
            says.eval(says.self, &m.w.s, b, x, r, z, q->mem);
            need(q->mem.st);
            for (int i = 0; i < b * n; i++) want[i] = (double)q->out[o].x[i];
            agree(q, b * n, z, want);
        }
    }
    case_end(q);
}

/* ---- From one end to the other --------------------------------------------------------------- */

/* mid_area -- the integral of G of the linear path from 0 to r. */
static inline double mid_area(double g, double r)
{
    return g * (r / 2 - sin(TURN * r) / (2 * TURN));
}

/* mid_walk -- Heun's steps from path[0], by the fault m->l.id. */
static inline void mid_walk(mid_ends *m, double c, int steps, const double *r)
{
    loop *l = &m->l;
    double xi[LOOP_N], u[LOOP_N], e[LOOP_N], k1[LOOP_N], y[LOOP_N];
    for (int i = 0; i < steps; i++) {
        double h = fabs(r[i + 1] - r[i]), way = r[i + 1] > r[i] ? 1 : -1, part = c;
        double var = 2 * c * fabs(mid_area(m->g, r[i + 1]) - mid_area(m->g, r[i]));
        if (has(l, "no-score")) part = 0;
        loop_noise(l, i, xi);
        mid_says(m, r[i], l->path[i], u, e);
        for (int k = 0; k < l->n; k++) {
            k1[k] = way * u[k] - part * e[k];
            y[k] = l->path[i][k] + h * k1[k] + loop_size(l, var) * xi[k];
        }
        memcpy(l->path[i + 1], y, sizeof y);
        if (has(l, "one-stage")) continue;
        mid_says(m, r[i + 1], y, u, e);
        for (int k = 0; k < l->n; k++)
            l->path[i + 1][k] = l->path[i][k] + h / 2 * (k1[k] + way * u[k] - part * e[k])
                              + loop_size(l, var) * xi[k];
    }
}

/* mid_agree -- what fd_interpolant_step makes of the same noise. */
static inline void mid_agree(casebook *q, mid_ends *m, double c, const double *r)
{
    const int n = m->l.n;
    double xi[1][LOOP_N], want[LOOP_N];
    fd_interpolant p = mid_path(m->w.noise, MID_LINEAR, &m->g);
    fd_model says[2];
    fd_real *x = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    for (int o = 0; o < 2; o++)
        says[o] = fd_oracle_interpolant(&q->mem, &p, o ? FD_NOISE : FD_VELOCITY, m->w.mean,
                                        m->w.data, m->mean1, m->c1);
    memcpy(x, q->out[0].x, (size_t)n * sizeof *x);
    for (int i = 0; i < MID_STEPS; i++) {
        loop_noise(&m->l, i, xi[0]);
        const fd_real *noise = loop_points(q, &m->l, 1, xi);
        fd_interpolant_step(&p, &says[0], &says[1], c, r[i], r[i + 1], 1, x, noise, q->mem);
        need(q->mem.st);
        for (int j = 0; j < n; j++) want[j] = (double)q->out[0].x[(i + 1) * n + j];
        agree(q, n, x, want);
    }
}

static inline void mid_path_case(casebook *q, int n, double c, int down)
{
    static const char *const wrong[] = { "", "one-stage", "no-score", "sign", "noise-slope",
        "other-direction", "ends-swapped", "centred", "root-2", "no-root-2", "white-noise",
        "no-grid-factor", "nyquist-kept" };
    const double up[MID_STEPS + 1] = { 0, .2, .45, .8, 1 };
    const int dims[2] = { MID_STEPS + 1, n }, times = MID_STEPS + 1;
    double r[MID_STEPS + 1];
    mid_ends m;
    case_begin(q, VALID, c > 0 ? "[Albergo et al. eqs. 2.33, 2.34]" : "[Albergo et al. eq. 2.32]",
               n % 2 ? "Loop OddGrid" : "Loop Nyquist", "interpolant from the %s end to the other "
               "by Heun's steps, c = %g", down ? "second" : "first", c);
    q->tol = fmax(5 * q->tol, 1e-4);                /* the noise of a step is an integral of G */
    param_text(q, "want", "path");
    mid_ends_put(q, &m, n, MID_LINEAR, .7);
    param(q, "c", c);
    for (int i = 0; i < times; i++) r[i] = down ? 1 - up[i] : up[i];
    put_in_d(q, "r", 1, &times, r);
    loop_functions(q, &m.l, "x", 1, m.l.path);
    loop_white_given(q, &m.l, MID_STEPS);
    for (int f = 0; f < COUNT(wrong); f++) {
        m.l.id = wrong[f];
        mid_walk(&m, c, MID_STEPS, r);
        const fd_real *x = loop_points(q, &m.l, times, m.l.path);
        if (f) put_other(q, 0, wrong[f], "path", x);
        else {
            put_out(q, "path", 2, dims, x);
            mid_agree(q, &m, c, r);
        }
    }
    case_end(q);
}

static inline void group_interpolants(casebook *q)
{
    if (!group_begin(q, "interpolants", "paths between two laws: pairs, exact models, flow and "
                     "SDE both ways")) return;
    mid_draw_case(q, MID_LINEAR, .7, 8), mid_draw_case(q, MID_TRIG, 1, 7);
    mid_model_case(q, MID_LINEAR, .7, 8), mid_model_case(q, MID_TRIG, 1, 7);
    for (int down = 0; down < 2; down++)
        mid_path_case(q, 8, 0, down), mid_path_case(q, 8, .5, down);
    mid_path_case(q, 7, .5, 0);
    group_end(q);
}
#endif
