/* train.c -- how is a network trained on functions, and drawn on twice the grid? train [STEPS]
 *
 * The data are Gaussian, so that the best denoiser is known: its error stands beside that of the
 * network, which has not seen 128 points. Data of a file: fd_npy_load in place of fd_cov_draw. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 64, B = 64, M = 256, STEPS = 30 };
static char mem[256 << 20];

/* miss -- mean squared distance of the prediction of x0 from M functions x0, at time t. */
static double miss(const fd_model *m, const fd_process *p, double t, const fd_real *x0, fd_arena a)
{
    ptrdiff_t n = M * p->noise->s.points;
    fd_real *xt = fd_raw(&a, fd_real, n), *y = fd_raw(&a, fd_real, n);
    double time[M], sum = 0;
    for (int i = 0; i < M; i++) time[i] = t;
    fd_perturb(p, fd_seed(5), 0, M, x0, time, xt, NULL, a);
    fd_predict(m, FD_X0, p, M, xt, time, y, a);
    for (ptrdiff_t i = 0; y && i < n; i++) sum += pow((double)y[i] - (double)x0[i], 2) / (double)n;
    return sum;
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 1500;
    if (argc > 2 || steps < 5) return fprintf(stderr, "usage: train [STEPS, at least 5]\n"), 2;
    fd_status  st;
    fd_arena   a = fd_arena_over(mem, sizeof mem, &st);
    fd_cov    *data[2];
    fd_process p[2];
    for (int g = 0; g < 2; g++) {                      /* the same laws on N and on 2N points */
        fd_space s = fd_grid(&a, 1, (int[]){ N << g }, NULL, NULL, 1);
        data[g] = fd_cov_matern(&a, &s, 1.0, 0.3, 2.5);
        p[g] = fd_vp(fd_cov_matern(&a, &s, 1.0, 0.1, 1.5), 0.1, 20.0);
    }
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 32, .layers = 4,
                     .fno.modes = { 24 }, .time = FD_TIME_FILM };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3, adam.warmup = 50, adam.steps = steps, adam.clip = 1, adam.ema = .995;
    fd_net *net = fd_net_new(&a, &arch, fd_seed(2));
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    static fd_real x0[B * N], xt[B * N], eps[B * N], v[B * N], x[M * 2 * N];
    double t[B], times[STEPS + 1];
    for (int step = 1; step <= steps && !st.code; step++) {
        fd_rng r = fd_stream(fd_seed(3), 'b', (uint32_t)step);
        fd_cov_draw(data[0], r, 0, B, x0, a);
        fd_draw_times(&p[0], FD_T_STRATIFIED, NULL, fd_stream(r, 't', 0), 0, B, t, &st);
        fd_perturb(&p[0], fd_stream(r, 'e', 0), 0, B, x0, t, xt, eps, a);       /* X_t | X_0 */
        fd_target(&p[0], FD_V, B, x0, eps, t, v, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ B, 1, N }, xt);
        fd_var *y = fd_forward(net, &tape, &data[0]->s, in, t);
        fd_var *loss = fd_mse_loss(&tape, &data[0]->s, y, v, NULL);
        fd_backward(&tape, loss);
        if (loss && step % (steps / 5) == 0) printf("step %d, loss %.4f\n", step, (double)*loss->x);
        fd_tape_end(&tape);
        fd_opt_step(opt, net, &st);
    }
    fd_model best = fd_oracle_gauss(&a, &p[1], NULL, data[1]);
    fd_model mine = fd_net_model(&a, fd_net_with(&a, net, opt ? opt->avg : NULL), FD_V);
    fd_cov_draw(data[1], fd_seed(4), 0, M, x, a);
    puts("  t    best network: the mean squared error of x0 on 128 points");
    for (double u = .1; u < .8; u += .3)
        printf("%.1f%8.4f%8.4f\n", u, miss(&best, &p[1], u, x, a), miss(&mine, &p[1], u, x, a));
    fd_times(&p[1], FD_LOGSNR, 0, STEPS, times, &st);
    fd_sampler how = { .p = &p[1], .model = mine, .t = times, .steps = STEPS, .denoise = 1,
                       .scheme = FD_PF_HEUN };
    fd_sample(&how, fd_seed(1), 0, M, x, a);
    char why[160];
    mkdir("out", 0777);
    fd_npy_save(&st, "out/train.npy", 2, (int[]){ M, 2 * N }, x);
    fd_net_save(&st, "out/train.safetensors", net, opt, NULL, a);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "train: %s\n", why), 1;
    printf("wrote out/train.npy, %d functions on %d points, and out/train.safetensors\n", M, 2 * N);
    return 0;
}
