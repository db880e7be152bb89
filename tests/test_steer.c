/* test_steer.c -- what is learned of bridges, controls and flows: against values and floors that
 * are known. */
#include "test.h"

/* ---- A learned control: never below the value, and near it ----------------------------------- */

enum { N = 16, M = 2, K = 16, B = 16, PATHS = 512 };
typedef struct {
    fd_space s;
    fd_linear l;
    fd_cov *decay[K], *hold[K];
    fd_real rows[M * N], y[M], zeros[B * N];
    double sd;
} steered;

static double when(int k) { return 1 - pow(1 - (double)k / K, 2); }

static fd_var *path(const steered *q, const fd_net *net, fd_tape *t, fd_rng r, int first,
                    double *level)
{
    const int flat[2] = { B, N }, field[3] = { B, 1, N }, one = 1;
    fd_var *x = fd_input(t, 3, field, q->zeros), *J = fd_input(t, 1, &one, q->zeros), *miss = NULL;
    fd_var *A = fd_input(t, 2, (int[]){ M, N }, q->rows), *y = fd_input(t, 1, (int[]){ M }, q->y);
    for (int k = 0; k <= K; k++) {
        miss = fd_sub(t, y, fd_matmul(t, 0, 1, fd_reshape(t, x, 2, flat), A));
        if (k == K || !x) break;
        double time[B], h = when(k + 1) - when(k);
        fd_real *xi = fd_raw(t->mem, fd_real, B * N), *noise = fd_new(t->mem, fd_real, B * N);
        if (!noise) return NULL;
        for (int i = 0; i < B; i++) time[i] = when(k);
        fd_cov_draw(q->l.noise, fd_stream(r, 'x', (uint32_t)k), first, B, xi, *t->mem);
        fd_linear_step(&q->l, when(k), when(k + 1), B, noise, xi, *t->mem);
        fd_var *pull = fd_affine(t, fd_reshape(t, fd_matmul(t, 0, 0, miss, A), 3, field), N, 0);
        fd_var *in = fd_concat(t, x, fd_cov_apply(t, q->l.noise, 1, pull), 1);
        fd_var *u = fd_cov_apply(t, q->l.noise, .5, fd_forward(net, t, &q->s, in, time));
        J = fd_add(t, J, fd_affine(t, fd_mse_loss(t, &q->s, u, q->zeros, NULL), .5 * h, 0));
        fd_var *drift = fd_cov_apply(t, q->hold[k], 1, fd_cov_apply(t, q->l.noise, .5, u));
        x = fd_add(t, fd_cov_apply(t, q->decay[k], 1, x),
                   fd_add(t, drift, fd_input(t, 3, field, noise)));
        if (level) fd_cov_pow(q->l.noise, -.5, B, xi, xi, *t->mem);
        for (int i = 0; level && u && i < B; i++)
            *level += sqrt(h) / B * fd_inner(&q->s, u->x + i * N, xi + i * N);
    }
    return fd_add(t, J, fd_affine(t, fd_sum_to(t, fd_map(t, miss, FD_SQUARE), 1, &one),
                                  .5 / (q->sd * q->sd) / B, 0));
}

static void learned_control(void)
{
    enum { STEPS = 80 };
    static const double place[M] = { .3, .75 }, y[M] = { 3, -2 };
    static steered q;
    fd_status st;
    fd_arena a = test_arena((size_t)192 << 20, &st);
    q.s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    q.l = fd_linear_heat(&a, fd_cov_matern(&a, &q.s, 2, .4, 2), .02, 1, 1);
    q.sd = 1;
    fd_obs o = fd_obs_points(&a, &q.s, M, place, NULL);
    fd_obs_noise(&a, &o, q.sd);
    double w[N], unit[M * M] = { 1, 0, 0, 1 };
    for (int k = 0; k < K; k++) {
        fd_linear_law(&q.l, when(k), when(k + 1), w, NULL, a);
        q.decay[k] = fd_cov_table(&a, &q.s, w);
        for (int j = 0; j < N; j++) w[j] = (1 - w[j]) / q.l.a[j];
        q.hold[k] = fd_cov_table(&a, &q.s, w);
    }
    for (int i = 0; i < M; i++) {
        q.y[i] = (fd_real)y[i];
        o.transpose(o.self, &q.s, 1, NULL, unit + i * M, q.rows + i * N, a);
    }
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 2, .out = 1, .width = 8, .layers = 2,
                     .fno.modes = { 6 }, .time = FD_TIME_FILM, .coords = FD_COORD_CLOSED };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 1e-2, adam.warmup = 10, adam.steps = STEPS, adam.clip = 10, adam.ema = .95;
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    fd_net *avg = opt ? fd_net_with(&a, net, opt->avg) : NULL;
    for (int k = 0; k < STEPS && avg && !st.code; k++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_backward(&t, path(&q, net, &t, fd_stream(fd_seed(2), 's', (uint32_t)k), 0, NULL));
        fd_tape_end(&t);
        fd_opt_step(opt, net, &st);
    }
    double sum = 0, sq = 0, value = fd_control_value(&q.l, 0, &o, y, q.zeros, a);
    for (int i = 0; i < PATHS; i += B) {
        fd_arena own = a;
        fd_tape t = fd_tape_begin(&own, FD_EVAL);
        double level = 0;
        fd_var *J = path(&q, avg, &t, fd_seed(9), i, &level);
        if (J) level += (double)J->x[0];
        sum += level * B / PATHS, sq += level * level * B / PATHS;
    }
    double se = sqrt(fmax(0, sq - sum * sum) * B / PATHS);
    OK(!st.code, "control: %s", st.code ? st.what : "");
    OK(se > 0 && se < .02 * value && sum > value - 3 * se && sum < 1.05 * value,
       "a learned control costs %.4f +- %.4f, the least possible %.4f", sum, se, value);
    test_free();
}

/* ---- Bridge matching: its floor, and where its iterations lead ------------------------------- */

/* ends x0 ~ N(m0, C0), x1 ~ N(m1, C1) with the covariance r between them in each mode, and the
 * state at t between them: count of each */
typedef struct { fd_linear l; const fd_cov *c0, *c1; fd_real *m0, *m1; const double *r; } ends;

static void pairs(const ends *e, fd_rng r, int count, double t, fd_real *x, fd_real *x1, fd_arena a)
{
    const fd_space *s = &e->l.noise->s;
    const int n = (int)s->modes;
    fd_real *z = fd_raw(&a, fd_real, count * n), *u = fd_raw(&a, fd_real, count * n);
    fd_real *xi = fd_raw(&a, fd_real, count * n);
    if (!xi) return;
    fd_cov_draw(e->c0, fd_stream(r, '0', 0), 0, count, x, a);
    fd_cov_draw(e->c1, fd_stream(r, '1', 0), 0, count, x1, a);
    fd_to_modes(s, count, x, u, a), fd_to_modes(s, count, x1, z, a);
    /* x1 = r/c0 x0 + sqrt(1 - r^2/(c0 c1)) z */
    for (int i = 0; i < count * n; i++) {
        double c0 = e->c0->lam[i % n], c1 = e->c1->lam[i % n], k = e->r[i % n];
        z[i] = (fd_real)(k / c0 * (double)u[i] + sqrt(1 - k * k / (c0 * c1)) * (double)z[i]);
    }
    fd_from_modes(s, count, z, x1, a);
    for (int i = 0; i < count * n; i++) x[i] += e->m0[i % n], x1[i] += e->m1[i % n];
    fd_cov_draw(e->l.noise, fd_stream(r, 'w', 0), 0, count, xi, a);
    fd_bridge_step(&e->l, 0, t, count, x, x1, xi, a);
}

/* moments of the state at t in a mode: its variance and its covariance with the end */
static void between(double a, double q, double T, double t, double c0, double c1, double r,
                    double out[4])
{
    double A0 = sinh(a * (T - t)) / sinh(a * T), A1 = sinh(a * t) / sinh(a * T);
    out[0] = A0, out[1] = A1;
    out[2] = A0 * A0 * c0 + A1 * A1 * c1 + 2 * A0 * A1 * r
           + q * sinh(a * t) * sinh(a * (T - t)) / (a * sinh(a * T));
    out[3] = A0 * r + A1 * c1;
}

/* The best affine network of a sample: its slopes and its loss. */
static void best_affine(const ends *e, double t, double floor, fd_arena a)
{
    enum { P = 8, COUNT = 4096 };
    const fd_space s = e->c0->s;
    double least = 0;
    fd_real *x = fd_raw(&a, fd_real, COUNT * P), *y = fd_raw(&a, fd_real, COUNT * P);
    fd_real *u = fd_raw(&a, fd_real, COUNT * P), *v = fd_raw(&a, fd_real, COUNT * P);
    pairs(e, fd_seed(3), COUNT, t, x, y, a);
    fd_to_modes(&s, COUNT, x, u, a), fd_to_modes(&s, COUNT, y, v, a);
    for (int k = 0; k < P && v; k++) {
        double mu = 0, mv = 0, uu = 0, uv = 0, vv = 0, w[4];
        for (int i = 0; i < COUNT; i++)
            mu += (double)u[i * P + k] / COUNT, mv += (double)v[i * P + k] / COUNT;
        for (int i = 0; i < COUNT; i++) {
            double p = (double)u[i * P + k] - mu, q = (double)v[i * P + k] - mv;
            uu += p * p / COUNT, uv += p * q / COUNT, vv += q * q / COUNT;
        }
        between(e->l.a[k], e->l.noise->lam[k], 1.3, t, e->c0->lam[k], e->c1->lam[k], e->r[k], w);
        double left = e->c1->lam[k] - w[3] * w[3] / w[2];
        NEAR(uv / uu, w[3] / w[2], 4.5 * sqrt(left / w[2] / COUNT),
             "slope of the expected end, mode %d", k);
        least += vv - uv * uv / uu;
    }
    NEAR(least, floor, .02 * floor, "loss of the best affine network: the floor %.5f", floor);
}

static void matching(void)
{
    enum { P = 8, COUNT = 4096, BATCH = 64, STEPS = 250 };
    fd_status st;
    fd_arena a = test_arena((size_t)256 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, (int[]){ FD_NEUMANN }, 1);
    ends e = { .c0 = fd_cov_matern(&a, &s, 1, .3, 1.5), .c1 = fd_cov_matern(&a, &s, .6, .2, 2) };
    e.l = fd_linear_heat(&a, fd_cov_matern(&a, &s, .8, .2, 1), .02, .7, 1.3);
    double s0[P], s1[P], r[P], floor = 0, t = .65;
    for (int k = 0; k < P; k++) s0[k] = sqrt(e.c0->lam[k]), s1[k] = sqrt(e.c1->lam[k]);
    fd_schroedinger_cov(&e.l, s0, s1, r, a);
    e.r = r;
    fd_real m0[P], m1[P];
    for (int i = 0; i < P; i++) m0[i] = (fd_real)(.3 * i / P), m1[i] = (fd_real)(-.5 + .1 * i);
    e.m0 = m0, e.m1 = m1;
    for (int k = 0; k < P; k++) {
        double w[4];
        between(e.l.a[k], e.l.noise->lam[k], 1.3, t, e.c0->lam[k], e.c1->lam[k], r[k], w);
        floor += e.c1->lam[k] - w[3] * w[3] / w[2];
    }
    best_affine(&e, t, floor, a);
    fd_real *x = fd_raw(&a, fd_real, COUNT * P), *y = fd_raw(&a, fd_real, COUNT * P);
    /* a network: near the floor, and not below it */
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 16, .layers = 1,
                     .fno.modes = { P / 2 }, .time = FD_TIME_NONE, .coords = FD_COORD_CLOSED };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 1e-2, adam.warmup = 10, adam.steps = STEPS, adam.ema = .98;
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    double loss = 0, sq = 0;
    for (int k = 0; k < STEPS && opt && !st.code; k++) {
        pairs(&e, fd_stream(fd_seed(4), 'k', (uint32_t)k), BATCH, t, x, y, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ BATCH, 1, P }, x);
        fd_backward(&tape, fd_mse_loss(&tape, &s, fd_forward(net, &tape, &s, in, NULL), y, NULL));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, &st);
    }
    pairs(&e, fd_seed(5), COUNT, t, x, y, a);
    fd_tape tape = fd_tape_begin(&a, FD_EVAL);
    fd_var *out = opt ? fd_forward(fd_net_with(&a, net, opt->avg), &tape, &s,
                                   fd_input(&tape, 3, (int[]){ COUNT, 1, P }, x), NULL) : NULL;
    for (int i = 0; i < COUNT && out; i++) {
        double d = 0;
        for (int j = 0; j < P; j++)
            d += pow((double)out->x[i * P + j] - (double)y[i * P + j], 2) / P;
        loss += d / COUNT, sq += d * d / COUNT;
    }
    double se = sqrt((sq - loss * loss) / COUNT);
    OK(!st.code, "matching: %s", st.code ? st.what : "");
    OK(loss > floor - 3 * se && loss < 1.04 * floor + 2 * se,
       "a network's loss %.5f +- %.5f, the floor %.5f", loss, se, floor);
    test_free();
}

/* Cov(X_0, X_T) of the equation whose drift goes towards the expected end f = m1 + c/v (x - m) of a
 * pairing with the covariance r: c0 exp(int_0^T slope dt), by the midpoint rule; the slope is read
 * off fd_bridge_drift. It has a pole at T where r is not that of a deterministic map: stop
 * before. */
static double followed(const fd_linear *l, double c0, double c1, double r, fd_arena a)
{
    enum { FINE = 4000 };
    double sum = 0, T = l->T;
    for (int i = 0; i < FINE; i++) {
        double u = (i + .5) / FINE, t = T * (1 - pow(1 - u, 3)), dt = 3 * T * pow(1 - u, 2) / FINE,
            w[4];
        between(l->a[0], l->noise->lam[0], T, t, c0, c1, r, w);
        fd_real x[2] = { 0, 1 }, f[2] = { 0, (fd_real)(w[3] / w[2]) };
        fd_bridge_drift(l, t, 2, x, f, f, a);
        sum += ((double)f[1] - (double)f[0]) * dt;
    }
    return c0 * exp(sum);
}

static void iterated(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ 1 }, NULL, (int[]){ FD_NEUMANN }, 1);
    const double q = .8, rate = 1.7, s0 = 1.2, s1 = .7;
    double *lam = fd_raw(&a, double, 1), *k = fd_raw(&a, double, 1), want, r = 0, last = INFINITY;
    *lam = q, *k = rate;
    fd_linear l = { fd_cov_table(&a, &s, lam), k, 1.3 };
    fd_schroedinger_cov(&l, &s0, &s1, &want, a);
    NEAR(want, .2925806024, 1e-10, "Schroedinger covariance");
    for (int round = 0; round < 12; round++) {               /* from independent ends */
        r = followed(&l, s0 * s0, s1 * s1, r, a);
        OK(fabs(r - want) < last || fabs(r - want) < 1e-4,
           "round %d of matching: covariance %.6f, towards %.6f", round, r, want);
        last = fabs(r - want);
    }
    NEAR(r, want, TOL(1e-4, 1e-3), "the fixed point of iterated matching");
    OK(!st.code, "status");
    test_free();
}

/* DBFS's process as released: frequencies per pixel */
static void released(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    double own[2], ours[2];
    for (int g = 0; g < 2; g++) {
        const int n = 8 << g, bc[2] = { FD_NEUMANN, FD_NEUMANN };
        fd_space s = fd_grid(&a, 2, (int[]){ n, n }, NULL, bc, 1);
        fd_linear l = fd_linear_dbfs(&a, &s, 2, 1);
        fd_linear heat = fd_linear_heat(&a, fd_cov_matern(&a, &s, 1, .3, 1), .1, 1, 1);
        OK(!st.code && l.noise, "the released process: %s", st.code ? st.what : "");
        if (!l.noise) return;
        double rate = 1 + pow(acos(-1) * 3 / n, 2) + pow(acos(-1) * 2 / n, 2);
        NEAR(l.a[3 * n + 2], rate, 1e-12, "rate of the mode (3, 2) on %d points", n);
        NEAR(l.noise->lam[3 * n + 2] * n * n, pow(rate, -.02) / 4, 1e-12,
             "its noise, of the pixels");
        own[g] = l.a[3 * n + 2], ours[g] = heat.a[3 * n + 2];
    }
    OK(own[0] > 1.5 * own[1], "the same function has another process on the finer grid");
    NEAR(ours[0], ours[1], 1e-12, "not so the heat equation");
    fd_space round = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_linear_dbfs(&a, &round, 2, 1);
    OK(st.code == FD_EARG, "it is for cosines");
    st.code = FD_OK;
    test_free();
}

/* ---- One-step models ------------------------------------------------------------------------- */

/* One step of process k from the law of X_T has the law of X_r. */
static void average_law(int k, const fd_process *p, const fd_real *mean, const fd_cov *c0,
                        fd_arena a)
{
    enum { P = 6 };
    const fd_cov *c = p->noise;
    const fd_space s = c->s;
    fd_real v[P], w[P];
    const double end[2] = { p->tmax, p->tmin };
    fd_real zero[P] = { 0 }, mode[P], unit[P];
    fd_average_velocity(p, mean, c0, 1, &end[0], &end[1], zero, v, a);
    for (int j = 0; j < P; j++) {
        memset(mode, 0, sizeof mode);
        mode[j] = 1;
        fd_from_modes(&s, 1, mode, unit, a);
        fd_average_velocity(p, mean, c0, 1, &end[0], &end[1], unit, w, a);
        for (int i = 0; i < P; i++) unit[i] -= (fd_real)(end[0] - end[1]) * (w[i] - v[i]);
        fd_to_modes(&s, 1, unit, mode, a);
        fd_coef T = fd_law(p, end[0], j), R = fd_law(p, end[1], j);
        double from = T.m * T.m * c0->lam[j] + T.v * c->lam[j];
        double to = R.m * R.m * c0->lam[j] + R.v * c->lam[j];
        NEAR((double)mode[j] * (double)mode[j] * from, to, TOL(1e-10, 1e-3) * fmax(from, to),
             "process %d: variance of one step, mode %d", k, j);
    }
}

static void average(void)
{
    enum { P = 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .2, 1.5), *c0 = fd_cov_matern(&a, &s, .5, .4, 1.5);
    fd_real mean[P], x[P], u[P], v[P], w[P], y[P], up[P], down[P];
    for (int i = 0; i < P; i++) mean[i] = (fd_real)(.2 * i - .3);
    fd_process row[4] = { fd_flow(c, 0), fd_vp(c, .1, 20), fd_heat_cosine(c, 1, .1),
                          fd_ve(c, .01, 10) };
    for (int k = 0; k < 4; k++) {
        const fd_process *p = &row[k];
        OK(!st.code, "process: %s", st.code ? st.what : "");
        double t = .3 * p->tmin + .7 * p->tmax, r = .7 * p->tmin + .3 * p->tmax,
            half = .5 * (t + r), d = 2e-3;
        fd_model m = fd_oracle_gauss(&a, p, mean, c0);
        fd_cov_draw(c, fd_seed(4), 0, 1, x, a);
        /* towards r = t it is the velocity, dx/dt: the opposite of FD_VELOCITY */
        double near_t = t - 1e-3 * (p->tmax - p->tmin);
        fd_average_velocity(p, mean, c0, 1, &t, &near_t, x, u, a);
        fd_predict(&m, FD_VELOCITY, p, 1, x, &t, v, a);
        double size = 0;
        for (int i = 0; i < P; i++) size = fmax(size, fabs((double)v[i]));
        for (int i = 0; i < P; i++)
            NEAR((double)u[i], -(double)v[i], .03 * size, "process %d: the velocity at r = t", k);
        /* two steps are one */
        fd_average_velocity(p, mean, c0, 1, &t, &r, x, u, a);
        fd_average_velocity(p, mean, c0, 1, &t, &half, x, v, a);
        for (int i = 0; i < P; i++) y[i] = x[i] - (fd_real)(t - half) * v[i];
        fd_average_velocity(p, mean, c0, 1, &half, &r, y, w, a);
        for (int i = 0; i < P; i++)
            NEAR((double)y[i] - (half - r) * (double)w[i], (double)x[i] - (t - r) * (double)u[i],
                 TOL(1e-11, 1e-5) * (1 + size), "process %d: two steps are one", k);
        /* u = dx/dt - (t - r) du/dt along the flow */
        fd_predict(&m, FD_VELOCITY, p, 1, x, &t, v, a);
        for (int side = 0; side < 2; side++) {
            double e = (side ? -d : d) * (t - r), at = t + e;
            for (int i = 0; i < P; i++) y[i] = x[i];
            /* along the flow: x at t + e, by the exact flow back from there or forth */
            if (side) {
                fd_average_velocity(p, mean, c0, 1, &t, &at, x, w, a);
                for (int i = 0; i < P; i++) y[i] = x[i] - (fd_real)(t - at) * w[i];
            } else
                for (int it = 0; it < 60; it++) {                 /* the x there that flows to x */
                    fd_average_velocity(p, mean, c0, 1, &at, &t, y, w, a);
                    for (int i = 0; i < P; i++) y[i] += x[i] - (y[i] - (fd_real)(at - t) * w[i]);
                }
            fd_average_velocity(p, mean, c0, 1, &at, &r, y, side ? down : up, a);
        }
        for (int i = 0; i < P; i++) {
            double du = ((double)up[i] - (double)down[i]) / (2 * d * (t - r));
            NEAR((double)u[i], -(double)v[i] - (t - r) * du, TOL(1e-4, 5e-3) * (1 + size),
                 "process %d: the identity that trains it", k);
        }
        average_law(k, p, mean, c0, a);
    }
    double t = .5, r = .5;
    fd_average_velocity(&row[0], mean, c0, 1, &t, &r, x, u, a);
    OK(st.code == FD_EARG, "r = t");
    st.code = FD_OK;
    test_free();
}

/* ---- Formulas of stochastic calculus, by fd_sde_step ----------------------------------------- */

static void zero_f(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)self, (void)x, (void)t;
    memset(y, 0, (size_t)n * sizeof *y);
}
static void one_g(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)self, (void)x, (void)t;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = 1;
}
static void pull_f(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    (void)t;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = -(fd_real)*(const double *)self * x[i];
}

static void formulas(void)
{
    enum { MANY = 20000, STEPS = 64 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    const double rate = 1.7, T = 1, h = T / STEPS;
    const fd_sde brown = { zero_f, one_g, NULL, NULL }, ou = { pull_f, one_g, NULL, &rate };
    fd_real *w = fd_new(&a, fd_real, MANY), *x = fd_new(&a, fd_real, MANY),
        *dW = fd_raw(&a, fd_real, MANY);
    double *ito = fd_new(&a, double, MANY), *area = fd_new(&a, double, MANY);
    double sq = 0, V = 0, m2 = 0, m4 = 0, mean = 0, square = 0;
    for (int i = 0; i < MANY && area; i++) w[i] = (fd_real).5, x[i] = 0;
    for (int k = 0; k < STEPS && area; k++) {
        fd_normal(fd_stream(fd_seed(3), 'w', (uint32_t)k), MANY, dW);
        for (int i = 0; i < MANY; i++) {
            dW[i] *= (fd_real)sqrt(h);
            ito[i] += 2 * (double)w[i] * (double)dW[i] + h;
            area[i] += .25 * h * pow((double)w[i], 2);
        }
        fd_sde_step(&brown, FD_SDE_EULER, k * h, h, MANY, w, dW, a);
        fd_sde_step(&ou, FD_SDE_EULER, k * h, h, MANY, x, dW, a);
        for (int i = 0; i < MANY; i++) area[i] += .25 * h * pow((double)w[i], 2);
        V = pow(1 - rate * h, 2) * V + h;
    }
    for (int i = 0; i < MANY && area; i++) {
        double off = pow((double)w[i], 2) - .25 - ito[i], e = exp(-area[i]),
            s = pow((double)x[i], 2);
        sq += off * off / MANY, m2 += s / MANY, m4 += s * s / MANY;
        mean += e / MANY, square += e * e / MANY;
    }
    /* Ito: W^2 - W_0^2 = 2 int W dW + T, off by sum dW^2 - T, of the variance 2 h T */
    NEAR(sq, 2 * h * T, 4.5 * 2 * h * T * sqrt(14. / MANY), "Ito's formula for W^2");
    /* Fokker-Planck: the law is N(0, V) */
    NEAR(m2, V, 4.5 * V * sqrt(2. / MANY), "variance of the density");
    NEAR(m4, 3 * V * V, 4.5 * V * V * sqrt(96. / MANY), "its fourth moment");
    NEAR(V, (1 - exp(-2 * rate * T)) / (2 * rate), .02, "near that of continuous time");
    /* Feynman and Kac: u = E exp(-1/2 int W^2) solves u_t = u_xx/2 - x^2 u/2: cosh(T)^-1/2 exp(-x^2
     * tanh(T)/2) */
    NEAR(mean, exp(-.125 * tanh(T)) / sqrt(cosh(T)),
         4.5 * sqrt((square - mean * mean) / MANY) + 1e-4,
         "Feynman's and Kac's formula");
    OK(!st.code, "status");
    test_free();
}

/* dX = -rate (X - to) dt + dW */
typedef struct { double rate, to; } drawn;
static void drawn_f(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y)
{
    const drawn *o = self;
    (void)t;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)(o->rate * (o->to - (double)x[i]));
}

/* Girsanov between two drifts [Thesis eqs. 2.29-2.34]: weighted paths of the one have the law of
 * the other, at all times, and the noise less the difference of the drifts is Brownian under the
 * weights */
static void weights(void)
{
    enum { MANY = 20000, STEPS = 32, WHAT = 6 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    const double h = 1. / STEPS, unit = 1;
    const drawn from = { .5, 0 }, to = { 1.5, .5 };
    const fd_sde e = { drawn_f, one_g, NULL, &from };
    fd_space s = fd_grid(&a, 1, (int[]){ 1 }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *q = fd_cov_table(&a, &s, &unit);
    fd_real *y = fd_new(&a, fd_real, MANY), *dW = fd_raw(&a, fd_real, MANY);
    fd_real *d = fd_raw(&a, fd_real, MANY), *other = fd_raw(&a, fd_real, MANY);
    double *logz = fd_new(&a, double, MANY), *area = fd_new(&a, double, MANY);
    double *tilde = fd_new(&a, double, MANY), m = 0, V = 0, sum_m = 0;
    for (int k = 0; k < STEPS && tilde; k++) {
        fd_normal(fd_stream(fd_seed(3), 'w', (uint32_t)k), MANY, dW);
        drawn_f(&from, MANY, y, 0, d), drawn_f(&to, MANY, y, 0, other);
        for (int i = 0; i < MANY; i++) {
            dW[i] *= (fd_real)sqrt(h), d[i] = other[i] - d[i];
            area[i] += h * (double)y[i], tilde[i] += (double)dW[i] - h * (double)d[i];
        }
        fd_girsanov(q, h, MANY, d, dW, logz, a);
        fd_sde_step(&e, FD_SDE_EULER, k * h, h, MANY, y, dW, a);
        sum_m += h * m;                                        /* the moments of Euler's chain */
        m += h * to.rate * (to.to - m), V = pow(1 - to.rate * h, 2) * V + h;
    }
    const double want[WHAT] = { 1, m, V + m * m, cos(m) * exp(-V / 2), sum_m, 1 };
    double got[WHAT] = { 0 }, sq[WHAT] = { 0 }, plain = 0, drift = 0;
    for (int i = 0; i < MANY && tilde; i++) {
        const double z = exp(logz[i]), u = (double)y[i];
        const double h_of[WHAT] = { 1, u, u * u, cos(u), area[i], tilde[i] * tilde[i] };
        for (int j = 0; j < WHAT; j++)
            got[j] += z * h_of[j] / MANY, sq[j] += pow(z * h_of[j], 2) / MANY;
        plain += u / MANY, drift += z * tilde[i] / MANY;
    }
    for (int j = 0; j < WHAT; j++)
        NEAR(got[j], want[j], 4.5 * sqrt((sq[j] - got[j] * got[j]) / MANY),
             "E[Z h(Y)] = E[h(X)], %d", j);
    NEAR(drift, 0, .05, "the noise less the difference of the drifts has no drift under Z");
    OK(fabs(plain - m) > .2, "without weights it is another law");
    OK(!st.code, "status");
    test_free();
}

/* Ito's integral takes the left ends and increments of W, where (2.16) is printed with those of t;
 * the generator, where (2.21) has a minus before f; and E[phi(X_T) | X_0 = x], (2.22) */
static void integrals(void)
{
    enum { MANY = 20000, STEPS = 64 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    const double rate = 1.7, h = 1. / STEPS, x0 = .5;
    const fd_sde brown = { zero_f, one_g, NULL, NULL }, ou = { pull_f, one_g, NULL, &rate };
    fd_real *w = fd_raw(&a, fd_real, MANY), *x = fd_raw(&a, fd_real, MANY);
    fd_real *dW = fd_raw(&a, fd_real, MANY);
    double left = 0, printed = 0, worst = 0, m = x0, V = 0, u = 0, sq = 0;
    double *middle = fd_new(&a, double, MANY);
    for (int i = 0; i < MANY && middle; i++) w[i] = x[i] = (fd_real)x0;
    for (int k = 0; k < STEPS && middle; k++) {
        fd_normal(fd_stream(fd_seed(4), 'w', (uint32_t)k), MANY, dW);
        for (int i = 0; i < MANY; i++) {
            dW[i] *= (fd_real)sqrt(h);
            left += (double)w[i] * (double)dW[i] / MANY;
            printed += (double)w[i] * (double)w[i] * h / MANY;
            middle[i] += ((double)w[i] + .5 * (double)dW[i]) * (double)dW[i];
        }
        fd_sde_step(&brown, FD_SDE_EULER, k * h, h, MANY, w, dW, a);
        fd_sde_step(&ou, FD_SDE_EULER, k * h, h, MANY, x, dW, a);
        m *= 1 - rate * h, V = pow(1 - rate * h, 2) * V + h;
    }
    for (int i = 0; i < MANY && middle; i++) {
        worst = fmax(worst, fabs(middle[i] - .5 * ((double)w[i] * (double)w[i] - x0 * x0)));
        u += cos((double)x[i]) / MANY, sq += pow(cos((double)x[i]), 2) / MANY;
    }
    NEAR(left, 0, 4.5 * sqrt(.75 / MANY), "Ito's integral of W has the mean 0");
    NEAR(printed, x0 * x0 + .5 - .5 * h, 4.5 * sqrt(1. / MANY), "that of the print has not");
    NEAR(worst, 0, TOL(1e-12, 2e-5), "middle points: Stratonovich's (W_T^2 - W_0^2)/2");
    NEAR(u, cos(m) * exp(-V / 2), 4.5 * sqrt((sq - u * u) / MANY), "E[cos X_T | X_0 = x]");
    for (int i = 0; i < 5; i++) {                  /* two equally likely dW of the right variance */
        const double at = -1 + .5 * i, tiny = TOL(1e-5, 1e-2);
        fd_real z[2] = { (fd_real)at, (fd_real)at };
        const fd_real step[2] = { (fd_real)sqrt(tiny), -(fd_real)sqrt(tiny) };
        fd_sde_step(&ou, FD_SDE_EULER, 0, tiny, 2, z, step, a);
        double got = ((sin((double)z[0]) + sin((double)z[1])) / 2 - sin(at)) / tiny;
        NEAR(got, -rate * at * cos(at) - .5 * sin(at), TOL(1e-4, 3e-2), "generator at %g", at);
    }
    OK(!st.code, "status");
    test_free();
}

/* ---- A semilinear equation: the stationary law of stochastic Allen-Cahn ---------------------- */

/* dX = (nu X'' + X - X^3) dt + s dW, W white in the grid's modes, is a gradient system: exp(-2/s^2
 * int (X^4/4 - (1 + c) X^2/2)) N(0, s^2/2 (c - nu Laplacian)^-1) is stationary. Here s = 1. */
enum { CELLS = 16 };
static const double PULL = 1;

static double well(const void *self, const fd_space *s, const fd_real *x, fd_real *g, fd_arena a)
{
    double sum = 0;
    (void)self, (void)a;
    for (ptrdiff_t i = 0; i < s->points; i++) {
        double u = (double)x[i];
        sum += 2 * s->h * (.25 * u * u * u * u - .5 * (1 + PULL) * u * u);
        if (g) g[i] = (fd_real)(2 * (u * u * u - (1 + PULL) * u));
    }
    return sum;
}

static void allen_cahn(void)
{
    enum { MANY = 128, STEPS = 1600, BURN = 400, CHAINS = 16, LONG = 3000 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ CELLS }, NULL, (int[]){ FD_NEUMANN }, 1);
    double lam[CELLS], got[2] = { 0, 0 }, sq[2] = { 0, 0 }, want[2] = { 0, 0 }, wsq[2] = { 0, 0 };
    for (int k = 0; k < CELLS; k++) lam[k] = 1;
    fd_linear l = fd_linear_heat(&a, fd_cov_table(&a, &s, lam), .05, PULL, 1);
    for (int k = 0; k < CELLS; k++) lam[k] = .5 / l.a[k];
    fd_cov *prior = fd_cov_table(&a, &s, lam);
    const int n = MANY * CELLS;
    const double h = 1. / 128;
    fd_real *x = fd_new(&a, fd_real, n), *pull = fd_raw(&a, fd_real, n),
        *xi = fd_raw(&a, fd_real, n);
    /* a path: its mean and its square */
    for (int i = 0; i < MANY && xi; i++) {
        double m[2] = { 0, 0 };
        fd_real *y = x + i * CELLS;
        for (int k = 0; k < STEPS; k++) {
            for (int j = 0; j < CELLS; j++)
                pull[j] = (fd_real)(1 + PULL) * y[j] - y[j] * y[j] * y[j];
            fd_cov_draw(l.noise, fd_stream(fd_seed(4), 'x', (uint32_t)k), i, 1, xi, a);
            fd_semilinear_step(&l, 0, h, 1, y, pull, xi, a);
            if (k < BURN) continue;
            for (int j = 0; j < CELLS; j++) {
                double u = (double)y[j] * (double)y[j];
                m[0] += u / CELLS / (STEPS - BURN), m[1] += u * u / CELLS / (STEPS - BURN);
            }
        }
        for (int e = 0; e < 2; e++) got[e] += m[e] / MANY, sq[e] += m[e] * m[e] / MANY;
    }
    fd_mcmc how = { .prior = prior, .phi = { well, NULL }, .kind = FD_MCMC_SLICE };
    for (int c = 0; c < CHAINS; c++) {
        fd_arena own = a;
        fd_chain *chain = fd_chain_begin(&own, &how, fd_seed(5), c, NULL);
        double m[2] = { 0, 0 };
        for (int k = -500; k < LONG && chain; k++) {
            fd_chain_step(chain, own);
            if (k < 0) continue;
            fd_chain_get(chain, x);
            for (int j = 0; j < CELLS; j++) {
                double u = (double)x[j] * (double)x[j];
                m[0] += u / CELLS / LONG, m[1] += u * u / CELLS / LONG;
            }
        }
        for (int e = 0; e < 2; e++) want[e] += m[e] / CHAINS, wsq[e] += m[e] * m[e] / CHAINS;
    }
    OK(!st.code, "Allen-Cahn: %s", st.code ? st.what : "");
    for (int e = 0; e < 2; e++) {
        double se = sqrt(fmax(0, sq[e] - got[e] * got[e]) / MANY
                         + fmax(0, wsq[e] - want[e] * want[e]) / CHAINS);
        OK(se < .05 * want[e], "moment %d of stochastic Allen-Cahn is known to %g of %g", 2 + 2 * e,
           se, want[e]);
        NEAR(got[e], want[e], 4.5 * se + .01 * want[e], "moment %d of its stationary law",
             2 + 2 * e);
    }
    test_free();
}

void test_steer(void)
{
    formulas();
    weights();
    integrals();
    allen_cahn();
    learned_control();
    matching();
    iterated();
    released();
    average();
}
