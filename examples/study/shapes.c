/* shapes.c -- how does one outline become another, if it is moved by smooth random velocities?
 * shapes [STEPS of training, 300].
 *
 * The state is what a closed curve has been displaced from a circle: some Fourier coefficients, the
 * same on any number of points. The noise of 36 centres moves all of it at once (Kunita's flow), so
 * Sigma depends on the curve. A network learns from free paths, on 32 points, where they came from;
 * the process reversed in time and begun in a given curve is then the bridge from the circle to
 * that curve, drawn on 32 and on 128 points. The same training on Brownian shapes, whose answer is
 * known, says how good it is. out/shapes.png: above free paths, below bridges. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { P = 32, FINE = 128, WAVES = 6, D = 2 * (2 * WAVES - 1), SIDE = 6, W = 2 * SIDE * SIDE,
       K = 50, B = 20, SHOW = 10, FRAMES = 6, BOX = 200 };
static char mem[512 << 20];
static double centre[W], circle[2][2 * FINE];          /* on P and on FINE points */

/* the flow on n points in Stratonovich's sense; frozen: with the noise that the circle has */
static fd_shapes flow(int n, int frozen)
{
    return (fd_shapes){ .points = n, .dim = 2, .centres = SIDE * SIDE, .centre = centre,
                        .size = .23, .width = .5, .waves = WAVES, .frozen = frozen,
                        .from = circle[n == FINE] };
}

/* says -- the drift of the reversed process at b states z, times sqrt(t), as functions [b][2][n] on
 * the points of s. The network sees displacements over sqrt(t). */
static fd_var *says(const fd_net *net, fd_tape *tape, const fd_shapes *s, int b, const double *z,
                    const double *t)
{
    const int n = s->points;
    fd_space line = fd_grid(tape->mem, 1, &n, NULL, NULL, 2);
    fd_real *in = fd_raw(tape->mem, fd_real, (ptrdiff_t)b * 2 * n);
    double x[2 * FINE];
    for (int i = 0; in && i < b; i++) {
        fd_kunita_points(s, 1, z + i * D, x);
        for (int p = 0; p < 2 * n; p++)
            in[(i * 2 + p % 2) * n + p / 2] = (fd_real)((x[p] - s->from[p]) / sqrt(t[i]));
    }
    return fd_forward(net, tape, &line, fd_input(tape, 3, (int[]){ b, 2, n }, in), t);
}

/* drift -- the same in coefficients, y [b][D]. */
static void drift(const fd_net *net, const fd_shapes *s, int b, const double *z, double t,
                  double *y, fd_arena a)
{
    double time[SHOW], x[2 * FINE];
    for (int i = 0; i < b; i++) time[i] = t;
    fd_tape tape = fd_tape_begin(&a, FD_EVAL);
    fd_var *u = says(net, &tape, s, b, z, time);
    for (int i = 0; u && i < b; i++) {
        for (int p = 0; p < 2 * s->points; p++)
            x[p] = s->from[p] + (double)u->x[(i * 2 + p % 2) * s->points + p / 2] / sqrt(t);
        fd_kunita_state(s, 1, x, y + i * D);
    }
}

static void noise(int b, fd_rng r, int k, double *dW)                          /* N(0, 1/K) */
{
    fd_real xi[B * W];
    fd_normal(fd_stream(r, 'k', (uint32_t)k), b * W, xi);
    for (int i = 0; i < b * W; i++) dW[i] = (double)xi[i] / sqrt(K);
}

static fd_net *train(fd_arena *a, int frozen, int steps)
{
    static double z[(K + 1) * B * D], y[K * B * D], dW[B * W], t[K * B], x[2 * P];
    static fd_real want[K * B * 2 * P];
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 2, .out = 2, .width = 24, .layers = 3,
                     .time = FD_TIME_FILM, .fno = { .modes = { 12 }, .lift = -1, .proj = 48 } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 4e-3, adam.warmup = 20, adam.steps = steps, adam.clip = 1, adam.ema = .98;
    fd_net *net = fd_net_new(a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(a, net, &adam);
    fd_space line = fd_grid(a, 1, (int[]){ P }, NULL, NULL, 2);
    fd_shapes s = flow(P, frozen);
    fd_system e = fd_kunita(a, &s);
    for (int step = 0; step < steps && !a->st->code; step++) {
        memset(z, 0, B * D * sizeof *z);                                       /* the circle */
        for (int k = 0; k < K; k++) {
            double *from = z + k * B * D, *to = from + B * D;
            noise(B, fd_stream(fd_seed(2), 's', (uint32_t)step), k, dW);
            memcpy(to, from, B * D * sizeof *to);
            fd_system_step(&e, FD_SDE_HEUN, 0, 1. / K, B, to, dW, *a);
            fd_system_target(&e, FD_REVERSAL_DRIFT, 0, 1. / K, B, from, to, y + k * B * D, *a);
        }
        for (int i = 0; i < K * B; i++) {
            t[i] = (i / B + 1.) / K;
            fd_kunita_points(&s, 1, y + i * D, x);
            for (int p = 0; p < 2 * P; p++)
                want[(i * 2 + p % 2) * P + p / 2] = (fd_real)(sqrt(t[i]) * (x[p] - s.from[p]));
        }
        fd_tape tape = fd_tape_begin(a, FD_GRAD);
        fd_var *u = says(net, &tape, &s, K * B, z + B * D, t);
        fd_backward(&tape, fd_mse_loss(&tape, &line, u, want, NULL));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a->st);
    }
    return opt ? fd_net_with(a, net, opt->avg) : NULL;
}

/* draw -- SHOW curves in a box of the picture, the first one in colour. */
static void draw(unsigned char *rgb, int row, int col, const fd_shapes *s, const double *z)
{
    enum { FINER = 16 };
    static const unsigned char ink[3][3] = { { 40, 90, 160 }, { 190, 60, 40 }, { 200, 200, 200 } };
    double x[2 * FINE];
    for (int i = SHOW - 1; i >= 0; i--) {
        fd_kunita_points(s, 1, z + i * D, x);
        for (int p = 0; p < FINE * FINER; p++) {
            const double *u = x + p / FINER * 2, *v = x + (p / FINER + 1) % FINE * 2;
            double w = p % FINER / (double)FINER;
            int across = (int)(BOX * (.5 + ((1 - w) * u[0] + w * v[0]) / 3.4));
            int down = (int)(BOX * (.5 - ((1 - w) * u[1] + w * v[1]) / 3.4));
            for (int q = 0; q < (i ? 1 : 4); q++) {
                int r = down + q / 2, c = across + q % 2;
                if (r < 0 || c < 0 || r >= BOX || c >= BOX) continue;
                memcpy(rgb + 3 * (((row * BOX + r) * FRAMES + col) * BOX + c), ink[i ? 2 : row], 3);
            }
        }
    }
}

/* bridges -- from the curve to the circle, back in time by the drift of net; z: where they end. */
static void bridges(const fd_net *net, const fd_system *e, const fd_shapes *s, const double *curve,
                    double *z, unsigned char *rgb, fd_arena a)
{
    static double y[SHOW * D], dW[SHOW * W], G[D * W];
    const int every = K / (FRAMES - 1);
    const fd_shapes fine = flow(FINE, 0);
    for (int i = 0; i < SHOW; i++) fd_kunita_state(&fine, 1, curve, z + i * D);
    for (int k = K; k >= 0; k--) {
        if (rgb && k % every == 0) draw(rgb, 1, k / every, &fine, z);
        if (k) drift(net, s, SHOW, z, (double)k / K, y, a);
        noise(SHOW, fd_seed(4), k, dW);
        for (int i = 0; i < SHOW && k; i++) {
            e->g(e->self, z + i * D, 0, G);
            for (int j = 0; j < D; j++) {
                z[i * D + j] += y[i * D + j] / K;
                for (int l = 0; l < W && k > 1; l++) z[i * D + j] += G[j * W + l] * dW[i * W + l];
            }
        }
    }
}

int main(int argc, char **argv)
{
    static double z[SHOW * D], zc[SHOW * D], y[SHOW * D], dW[SHOW * W], curve[2 * FINE];
    static unsigned char rgb[2 * BOX * FRAMES * BOX * 3];
    const int steps = argc > 1 ? atoi(argv[1]) : 300, every = K / (FRAMES - 1);
    if (argc > 2 || steps < 1) return fprintf(stderr, "usage: shapes [STEPS]\n"), 2;
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    char why[160];
    for (int l = 0; l < SIDE * SIDE; l++)
        centre[2 * l] = 3. * (l / SIDE) / (SIDE - 1) - 1.5,
        centre[2 * l + 1] = 3. * (l % SIDE) / (SIDE - 1) - 1.5;
    for (int p = 0; p < FINE; p++) {
        double u = 2 * acos(-1) * p / FINE, r = .8 + .25 * cos(2 * u) + .15 * cos(4 * u);
        circle[1][2 * p] = .8 * cos(u), circle[1][2 * p + 1] = .8 * sin(u);
        curve[2 * p] = r * cos(u), curve[2 * p + 1] = r * sin(u);
        if (p % (FINE / P) == 0)
            memcpy(circle[0] + 2 * p / (FINE / P), circle[1] + 2 * p, 2 * sizeof *curve);
    }
    fd_shapes s = flow(P, 0), fine = flow(FINE, 0), still = flow(P, 1);
    fd_system free_flow = fd_kunita(&a, &s), brownian = fd_kunita(&a, &still);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "shapes: %s\n", why), 1;

    /* the check: the reversed drift of Brownian shapes is -z/t */
    fd_net *net = train(&a, 1, steps);
    double miss = 0, size = 0, home = 0, apart = 0;
    for (int k = 0; k < K; k++) {
        noise(SHOW, fd_seed(3), k, dW);
        fd_system_step(&brownian, FD_SDE_EULER, 0, 1. / K, SHOW, z, dW, a);
        drift(net, &still, SHOW, z, (k + 1.) / K, y, a);
        for (int i = 0; i < SHOW * D; i++)
            miss += pow(y[i] + z[i] * K / (k + 1.), 2), size += pow(z[i] * K / (k + 1.), 2);
    }
    printf("Brownian shapes: RMSE of the learned drift %.3f of the size of the exact one\n",
           sqrt(miss / size));

    net = train(&a, 0, steps);
    memset(rgb, 255, sizeof rgb), memset(z, 0, sizeof z);
    for (int k = 0; k <= K; k++) {                                             /* free paths */
        if (k % every == 0) draw(rgb, 0, k / every, &fine, z);
        noise(SHOW, fd_seed(3), k, dW);
        fd_system_step(&free_flow, FD_SDE_HEUN, 0, 1. / K, SHOW, z, dW, a);
    }
    bridges(net, &free_flow, &s, curve, zc, NULL, a);
    bridges(net, &free_flow, &fine, curve, z, rgb, a);
    for (int i = 0; i < SHOW * D; i++)
        home += z[i] * z[i] / SHOW, apart = fmax(apart, fabs(z[i] - zc[i]));
    printf("bridges end %.3f from the circle of radius .8; on %d and on %d points they are at most "
           "%.1e apart\n", sqrt(home), P, FINE, apart);
    mkdir("out", 0777);
    fd_png_save(&st, "out/shapes.png", 2 * BOX, FRAMES * BOX, rgb);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "shapes: %s\n", why), 1;
    printf("wrote out/shapes.png\n");
    return 0;
}
