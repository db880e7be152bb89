/* control.c -- how is a function steered, and what does steering cost? control [STEPS of training,
 * 400]: out/control.png.
 *
 * A function starts at 0 and follows the stochastic heat equation dX = (-A X + Q^1/2 u) dt + dW, W
 * with the covariance Q. A network chooses the control u from (X, t), so as to make
 *
 *     J(u) = E[ 1/2 int_0^T |u|^2 dt + Phi(X_T) ],   Phi(x) = 1/2 sum_i (y_i - x(s_i))^2/sd^2
 *
 * small: it is trained on J itself, through all steps of the paths. J is never below -log E
 * exp(-Phi) without control, which is known here, and where it is reached X_T has the law of a
 * posterior: the prior is X_T without control, the likelihood exp(-Phi). So a control problem
 * learns a function from values of it [DBFS]. (From a random start it would not: control tilts X_T
 * given X_0 only.) Steps are exact for a control that is constant over each of them, and shorter
 * towards T. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 32, M = 4, K = 50, B = 32, TEST = 1024 };
static char mem[1000 << 20];
static const double place[M] = { .12, .35, .6, .85 }, y[M] = { 1, -.6, .2, 1.2 }, sd = .3, T = 1;
static fd_space s;
static fd_linear l;
static fd_cov *decay[K], *hold[K];     /* of each step: e^-ah and (1 - e^-ah)/a as operators */
static fd_real rows[M * N], values[M], zeros[B * N];

static double time_at(int k) { return T * (1 - pow(1 - (double)k / K, 2)); }

/* steer -- J on the tape, a mean over B paths of noise (r, first..). Where asked for: the ends, and
 * the mean of sum <u, Q^-1/2 noise>, whose expectation is 0: J less or plus it has less
 * variance. */
static fd_var *steer(const fd_net *net, fd_tape *t, fd_rng r, int first, fd_real *ends,
                     double *level)
{
    const int flat[2] = { B, N }, field[3] = { B, 1, N }, one = 1;
    fd_var *x = fd_input(t, 3, field, zeros), *J = fd_input(t, 1, &one, zeros);
    fd_var *A = fd_input(t, 2, (int[]){ M, N }, rows), *want = fd_input(t, 1, (int[]){ M }, values);
    for (int k = 0; k < K; k++) {
        double time[B], h = time_at(k + 1) - time_at(k);
        fd_real *xi = fd_raw(t->mem, fd_real, B * N), *noise = fd_new(t->mem, fd_real, B * N);
        if (!noise || !x) return NULL;
        for (int i = 0; i < B; i++) time[i] = time_at(k);
        fd_cov_draw(l.noise, fd_stream(r, 'x', (uint32_t)k), first, B, xi, *t->mem);
        fd_linear_step(&l, time_at(k), time_at(k + 1), B, noise, xi, *t->mem);
        /* the network sees the function, and Q A* of what is missed at the places */
        fd_var *miss = fd_sub(t, want, fd_matmul(t, 0, 1, fd_reshape(t, x, 2, flat), A));
        fd_var *pull = fd_affine(t, fd_reshape(t, fd_matmul(t, 0, 0, miss, A), 3, field), N, 0);
        fd_var *in = fd_concat(t, x, fd_cov_apply(t, l.noise, 1, pull), 1);
        fd_var *u = fd_cov_apply(t, l.noise, .5, fd_forward(net, t, &s, in, time));
        J = fd_add(t, J, fd_affine(t, fd_mse_loss(t, &s, u, zeros, NULL), .5 * h, 0));
        fd_var *drift = fd_cov_apply(t, hold[k], 1, fd_cov_apply(t, l.noise, .5, u));
        x = fd_add(t, fd_add(t, fd_cov_apply(t, decay[k], 1, x), drift),
                   fd_input(t, 3, field, noise));
        if (level) fd_cov_pow(l.noise, -.5, B, xi, xi, *t->mem);
        for (int i = 0; level && u && i < B; i++)
            *level += sqrt(h) / B * fd_inner(&s, u->x + i * N, xi + i * N);
    }
    fd_var *miss = fd_sub(t, want, fd_matmul(t, 0, 1, fd_reshape(t, x, 2, flat), A));
    if (ends && x) memcpy(ends, x->x, sizeof zeros);
    return fd_add(t, J, fd_affine(t, fd_sum_to(t, fd_map(t, miss, FD_SQUARE), 1, &one),
                                  .5 / (sd * sd) / B, 0));
}

/* cost -- J of TEST paths, its standard error, and the ends [TEST][N] */
static double cost(const fd_net *net, fd_real *ends, double *error, fd_arena a)
{
    double sum = 0, sq = 0;
    for (int i = 0; i < TEST; i += B) {
        fd_arena own = a;
        fd_tape t = fd_tape_begin(&own, FD_EVAL);
        double level = 0;
        fd_var *J = steer(net, &t, fd_seed(9), i, ends + i * N, &level);
        if (!J) return NAN;
        level += (double)J->x[0];
        sum += level * B / TEST, sq += level * level * B / TEST;
    }
    *error = sqrt(fmax(0, sq - sum * sum) * B / TEST);
    return sum;
}

/* compare -- the ends x beside the posterior of the regression, printed and in a plot */
static void compare(const fd_obs *o, const fd_real *x, plot *q, fd_arena a)
{
    static double band[6][N], u[N];
    double w[N], off[2] = { 0, 0 }, size[2] = { 0, 0 };
    fd_real post[2][N];
    fd_linear_law(&l, 0, T, NULL, w, a);
    fd_posterior *p = fd_posterior_new(&a, NULL, fd_cov_table(&a, &s, w), o, y);
    if (p) memcpy(post[0], p->mean, sizeof post[0]), fd_posterior_std(p, post[1], a);
    for (int j = 0; j < N && x && !a.st->code; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < TEST; i++) m += (double)x[i * N + j] / TEST;
        for (int i = 0; i < TEST; i++) v += pow((double)x[i * N + j] - m, 2) / (TEST - 1);
        u[j] = (j + .5) / N;
        for (int e = 0; e < 3; e++) {
            band[e][j] = m + 2 * (e - 1) * sqrt(v);
            band[3 + e][j] = (double)post[0][j] + 2 * (e - 1) * (double)post[1][j];
        }
        off[0] += pow(m - (double)post[0][j], 2), off[1] += pow(sqrt(v) - (double)post[1][j], 2);
        size[0] += pow((double)post[0][j], 2), size[1] += pow((double)post[1][j], 2);
    }
    printf("ends beside the exact posterior: mean off by %.3f, deviation by %.3f\n",
           sqrt(off[0] / size[0]), sqrt(off[1] / size[1]));
    plot_begin(q, 640, 480, "ends: mean and two deviations", "place", NULL, 0, 0);
    for (int e = 0; e < 3; e++)
        plot_line(q, N, u, band[e], e ? NULL : "controlled", PLOT_SOLID);
    for (int e = 0; e < 3; e++)
        plot_line(q, N, u, band[3 + e], e ? NULL : "posterior", PLOT_DASHED);
    plot_line(q, M, place, y, "values", PLOT_POINTS);
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 400, count = 0;
    if (argc > 2 || steps < 8) return fprintf(stderr, "usage: control [STEPS, at least 8]\n"), 2;
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    l = fd_linear_heat(&a, fd_cov_matern(&a, &s, 2, .3, 2), .02, 1, T);
    fd_obs o = fd_obs_points(&a, &s, M, place, NULL);
    fd_obs_noise(&a, &o, sd);
    double w[N], error = 0, id[M * M] = { 0 }, at[9], J[9], bound[9];
    for (int k = 0; k < K; k++) {
        fd_linear_law(&l, time_at(k), time_at(k + 1), w, NULL, a);
        decay[k] = fd_cov_table(&a, &s, w);
        for (int j = 0; j < N; j++)
            w[j] = l.a[j] > 0 ? (1 - w[j]) / l.a[j] : time_at(k + 1) - time_at(k);
        hold[k] = fd_cov_table(&a, &s, w);
    }
    for (int i = 0; i < M; i++) id[i * (M + 1)] = 1, values[i] = (fd_real)y[i];
    for (int i = 0; i < M; i++) o.transpose(o.self, &s, 1, NULL, id + i * M, rows + i * N, a);
    double value = fd_control_value(&l, 0, &o, y, zeros, a);

    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 2, .out = 1, .width = 16, .layers = 2,
                     .fno.modes = { 12 }, .time = FD_TIME_FILM, .coords = FD_COORD_CLOSED };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 5e-3, adam.warmup = 20, adam.steps = steps, adam.clip = 10, adam.ema = .98;
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    fd_net *avg = opt ? fd_net_with(&a, net, opt->avg) : NULL;
    fd_real *x = fd_raw(&a, fd_real, TEST * N);
    printf("least possible cost %.4f\n", value);
    for (int k = 0; k <= steps && x && !st.code; k++) {
        if (k == steps || (k % (steps / 8) == 0 && count < 8)) {
            at[count] = k, bound[count] = value;
            J[count] = cost(avg, x, &error, a);
            printf("step %4d  J = %.4f +- %.4f, %.2f %% above\n", k, J[count], error,
                   100 * (J[count] / value - 1));
            count++;
            fflush(stdout);
        }
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_backward(&t, steer(net, &t, fd_stream(fd_seed(2), 's', (uint32_t)k), 0, NULL, NULL));
        fd_tape_end(&t);
        fd_opt_step(opt, net, &st);
    }

    plot q[2];
    plot_begin(&q[0], 640, 480, "cost of the learned control", "steps of training", "J", 0, 0);
    plot_line(&q[0], count, at, J, "learned", PLOT_MARKED);
    plot_line(&q[0], count, at, bound, "least possible", PLOT_DASHED);
    q[0].lo[1] = .8 * value, q[0].hi[1] = 2 * value;
    compare(&o, x, &q[1], a);
    mkdir("out", 0777);
    plot_row(&st, 2, q, "out/control.png", a);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "control: %s\n", why), 1;
    printf("wrote out/control.png\n");
    return 0;
}
