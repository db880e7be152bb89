/* onestep.c -- can one evaluation of a network do what fifty do? onestep [STEPS of training, 3000]:
 * out/onestep.png.
 *
 * Flow matching learns the velocity dx/dt of a flow from noise (t = 1) to data (t = 0), and a
 * sampler follows it in many steps. A mean flow learns the average velocity u(x, r, t) over [r, t],
 * so that x - u(x, 0, 1) is the end [MeanFlow], from the identity u = dx/dt - (t - r) du/dt along
 * the flow, for dx/dt that of a pair, xi - x0, and du/dt by differences of the network itself, held
 * fixed. Both networks are the same but for a channel with t - r, and see the same pairs. The data
 * are functions of two kinds, whose exact flow is known (fd_oracle_mix): each method's end is held
 * against the exact end of the same noise, relative to the deviation of data. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 48, B = 64, TEST = 512, FINE = 400, SHOW = 8 };
static const double PI = 3.14159265358979323846;
static char mem[700 << 20];
static fd_space s;
static fd_process p;
static fd_mix data;

/* draw -- b functions of the data: of which kind, by chance */
static void draw(fd_rng r, int b, fd_real *x, fd_arena a)
{
    fd_real *y = fd_raw(&a, fd_real, 2 * b * N);
    if (!y) return;
    for (int k = 0; k < 2; k++)
        fd_cov_draw(data.c[k], fd_stream(r, 'd', (uint32_t)k), 0, b, y + k * b * N, a);
    for (int i = 0; i < b; i++) {
        int k = (int)fd_index(fd_stream(r, 'k', 0), (uint64_t)i, 2);
        for (int j = 0; j < N; j++) x[i * N + j] = data.mean[k * N + j] + y[(k * b + i) * N + j];
    }
}

/* says -- the network's value at (x, r, t) for b functions; in place of average velocities (mean =
 * 0) one without the channel t - r */
static fd_var *says(const fd_net *net, fd_tape *tape, int mean, int b, const fd_real *x,
                    const double *r, const double *t)
{
    fd_real *in = fd_raw(tape->mem, fd_real, 2 * b * N);
    for (int i = 0; in && i < b; i++) {
        memcpy(in + i * (1 + mean) * N, x + i * N, N * sizeof *in);
        for (int j = 0; j < N && mean; j++) in[(2 * i + 1) * N + j] = (fd_real)(t[i] - r[i]);
    }
    return in ? fd_forward(net, tape, &s, fd_input(tape, 3, (int[]){ b, 1 + mean, N }, in), t)
        : NULL;
}

/* slope -- du/dt along dx/dt = v at fixed r, by differences; not past the ends */
static void slope(const fd_net *net, int b, const fd_real *x, const fd_real *v, const double *r,
                  const double *t, fd_real *du, fd_arena a)
{
    fd_real *y[2], *moved = fd_raw(&a, fd_real, b * N);
    double at[2][B];
    for (int e = 0; e < 2; e++) {
        y[e] = fd_raw(&a, fd_real, b * N);
        if (!y[e]) return;
        for (int i = 0; i < b; i++) at[e][i] = e ? fmin(1, t[i] + .005) : fmax(r[i], t[i] - .005);
        for (int i = 0; i < b * N; i++) moved[i] = x[i] + (fd_real)(at[e][i / N] - t[i / N]) * v[i];
        fd_arena own = a;
        fd_tape tape = fd_tape_begin(&own, FD_EVAL);
        fd_var *u = says(net, &tape, 1, b, moved, r, at[e]);
        if (u) memcpy(y[e], u->x, (size_t)(b * N) * sizeof *du);
    }
    for (int i = 0; i < b * N; i++) {
        double h = at[1][i / N] - at[0][i / N];
        du[i] = h > 0 ? (y[1][i] - y[0][i]) / (fd_real)h : 0;
    }
}

/* follow -- x of TEST functions from t = 1 to 0 in k steps of the network */
static void follow(const fd_net *net, int mean, int k, fd_real *x, fd_arena a)
{
    for (int i = 0; i < TEST; i += B)
        for (int q = k; q > 0; q--) {
            fd_arena own = a;
            fd_tape tape = fd_tape_begin(&own, FD_EVAL);
            double t[B], r[B];
            for (int j = 0; j < B; j++) t[j] = (double)q / k, r[j] = (q - 1.) / k;
            fd_var *u = says(net, &tape, mean, B, x + i * N, r, t);
            for (int j = 0; u && j < B * N; j++) x[i * N + j] -= u->x[j] / (fd_real)k;
        }
}

/* train -- a network on pairs by flow matching, or on average velocities (mean = 1) */
static fd_net *train(fd_arena *a, int mean, int steps)
{
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1 + mean, .out = 1, .width = 32,
                     .layers = 4, .fno.modes = { 16 }, .time = FD_TIME_FILM,
                     .coords = FD_COORD_CLOSED };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3, adam.warmup = 50, adam.steps = steps, adam.clip = 1, adam.ema = .998;
    fd_net *net = fd_net_new(a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(a, net, &adam);
    fd_real *x = fd_raw(a, fd_real, B * N), *xi = fd_raw(a, fd_real, B * N);
    fd_real *v = fd_raw(a, fd_real, B * N), *y = fd_raw(a, fd_real, B * N);
    fd_real *du = fd_raw(a, fd_real, B * N);
    double loss = 0, t[B], r[B], weight[B];
    for (int k = 0; k < steps && du && !a->st->code; k++) {
        fd_rng now = fd_stream(fd_seed(2), 'b', (uint32_t)k);
        fd_real at[2 * B];
        draw(now, B, x, *a);
        fd_cov_draw(p.noise, fd_stream(now, 'n', 0), 0, B, xi, *a);
        fd_uniform(fd_stream(now, 't', 0), 2 * B, at);
        for (int i = 0; i < B; i++) {                                /* half of them with r = t */
            t[i] = fmax((double)at[i], (double)at[B + i]);
            r[i] = fmin((double)at[i], (double)at[B + i]);
            if (i % 2 || !mean) r[i] = t[i] = (double)at[i];
        }
        for (int i = 0; i < B * N; i++) {
            v[i] = xi[i] - x[i];
            y[i] = x[i] + (fd_real)t[i / N] * v[i];
        }
        if (mean) slope(net, B, y, v, r, t, du, *a);
        for (int i = 0; i < B * N && mean; i++) v[i] -= (fd_real)(t[i / N] - r[i / N]) * du[i];
        fd_tape tape = fd_tape_begin(a, FD_GRAD);
        fd_var *u = says(net, &tape, mean, B, y, r, t);
        for (int i = 0; i < B && u; i++) {                           /* robust: |.|^2/(|.|^2 + c) */
            double d = 0;
            for (int j = 0; j < N; j++)
                d += pow((double)u->x[i * N + j] - (double)v[i * N + j], 2) / N;
            weight[i] = mean ? 1 / (d + .1) : 1;
            loss += d / B / (steps / 5);
        }
        fd_backward(&tape, fd_mse_loss(&tape, &s, u, v, weight));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a->st);
        if ((k + 1) % (steps / 5) == 0) {
            printf("%s, step %5d  loss %.4f\n", mean ? "mean flow" : "flow matching", k + 1, loss);
            fflush(stdout), loss = 0;
        }
    }
    return opt ? fd_net_with(a, net, opt->avg) : NULL;
}

/* compare -- the ends of both networks with the exact ones of the same noise: table and picture */
static void compare(fd_net *const avg[2], const fd_real *noise, const fd_real *want, fd_arena a)
{
    plot q[4];
    static double u[N], line[4][SHOW][N];
    static const int count[5] = { 1, 2, 4, 10, 50 };
    static const char *const title[4] = { "exact flow", "flow matching, 50 evaluations",
                                          "flow matching, 1", "mean flow, 1" };
    fd_real *got = fd_raw(&a, fd_real, TEST * N), *real = fd_raw(&a, fd_real, TEST * N);
    double size = 0;
    if (!real) return;
    draw(fd_seed(8), TEST, real, a);
    for (int i = 0; i < TEST * N; i++) size += pow((double)real[i], 2) / (TEST * N);
    printf("%-16s %6s %20s %18s\n", "method", "evals", "off the exact ends", "energy distance");
    printf("%-16s %6s %20s %18.4f\n", "exact flow", "", "",
           fd_energy_distance(&s, TEST, want, TEST, real));
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < 5; k++) {
            double off = 0;
            memcpy(got, noise, TEST * N * sizeof *got);
            follow(avg[m], m, count[k], got, a);
            for (int i = 0; i < TEST * N; i++)
                off += pow((double)got[i] - (double)want[i], 2) / (TEST * N);
            printf("%-16s %6d %20.3f %18.4f\n", m ? "mean flow" : "flow matching", count[k],
                   sqrt(off / size), fd_energy_distance(&s, TEST, got, TEST, real));
            int at = m ? 3 : count[k] == 50 ? 1 : 2;
            for (int i = 0; i < SHOW * N && (m ? k == 0 : k == 0 || k == 4); i++)
                line[at][i / N][i % N] = (double)got[i], line[0][i / N][i % N] = (double)want[i];
        }
    for (int j = 0; j < N; j++) u[j] = (double)j / N;
    for (int e = 0; e < 4; e++) {
        plot_begin(&q[e], 480, 360, title[e], NULL, NULL, 0, 0);
        q[e].lo[1] = -2.2, q[e].hi[1] = 2.2;
        for (int i = 0; i < SHOW; i++) plot_line(&q[e], N, u, line[e][i], "", PLOT_SOLID);
    }
    plot_grid(a.st, 2, 2, q, "out/onestep.png", a);
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 3000;
    if (argc > 2 || steps < 10) return fprintf(stderr, "usage: onestep [STEPS, at least 10]\n"), 2;
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    p = fd_flow(fd_cov_matern(&a, &s, 1, .1, 1.5), 0);
    const fd_cov *kinds[2] = { fd_cov_matern(&a, &s, .1, .2, 2.5),
                               fd_cov_matern(&a, &s, .05, .3, 2.5) };
    fd_real mean[2 * N];
    for (int j = 0; j < N; j++)
        mean[j] = (fd_real)sin(2 * PI * j / N), mean[N + j] = (fd_real)(-.7 * cos(4 * PI * j / N));
    data = (fd_mix){ 2, NULL, mean, kinds };
    fd_net *avg[2];
    for (int m = 0; m < 2; m++) avg[m] = train(&a, m, steps);
    /* the exact ends of the same noise */
    fd_real *noise = fd_raw(&a, fd_real, TEST * N), *want = fd_raw(&a, fd_real, TEST * N);
    fd_model best = fd_oracle_mix(&a, &p, 2, NULL, mean, kinds);
    double times[FINE + 1];
    fd_times(&p, FD_UNIFORM, 0, FINE, times, &st);
    fd_sampler how = { .p = &p, .model = best, .t = times, .steps = FINE, .scheme = FD_PF_HEUN };
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "onestep: %s\n", why), 1;
    fd_cov_draw(p.noise, fd_seed(7), 0, TEST, noise, a);
    fd_run *run = fd_begin(&a, &how, fd_seed(0), 0, TEST);
    if (run) memcpy(run->x, noise, TEST * N * sizeof *noise);
    while (run && fd_step(run, a)) continue;
    if (run) memcpy(want, run->x, TEST * N * sizeof *want);
    mkdir("out", 0777);
    compare(avg, noise, want, a);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "onestep: %s\n", why), 1;
    printf("wrote out/onestep.png\n");
    return 0;
}
