/* train.c -- how is a network trained, and how near does it come to the best possible denoiser?
 * train [STEPS of training, 1500].
 *
 * The data are Gaussian random functions on 64 points of the circle, so the best denoiser is known
 * (fd_oracle_gauss) and its error is printed beside the network's: on 64 points, and on 128 that
 * the network has not seen. Then both draw samples on 128 points, and the energy of some waves is
 * printed over that of data. study/nets.c trains each kind of network so, on data of two classes. */
#include "fd.h"
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
    for (ptrdiff_t i = 0; y && i < n; i++) {
        double e = (double)y[i] - (double)x0[i];
        sum += e * e / (double)n;
    }
    return sum;
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 1500;
    if (argc > 2 || steps < 5) { fprintf(stderr, "usage: train [STEPS, at least 5]\n"); return 2; }
    fd_status  st;
    fd_arena   a = fd_arena_over(mem, sizeof mem, &st);
    fd_space   s[2];
    fd_cov    *data[2];
    fd_process p[2];
    for (int g = 0; g < 2; g++) {                      /* the same laws on N and on 2N points */
        s[g] = fd_grid(&a, 1, (int[]){ N << g }, NULL, NULL, 1);
        data[g] = fd_cov_matern(&a, &s[g], 1.0, 0.3, 2.5);
        p[g] = fd_vp(fd_cov_matern(&a, &s[g], 1.0, 0.1, 1.5), 0.1, 20.0);
    }
    fd_arch  arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 32, .layers = 4,
                      .modes = { 24 }, .time = FD_TIME_FILM };
    fd_adam  adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3; adam.warmup = 50; adam.steps = steps; adam.clip = 1; adam.ema = 0.995;
    fd_net  *net = fd_net_new(&a, &arch, fd_seed(2));
    fd_opt  *opt = fd_opt_new(&a, net, &adam);
    fd_real *x0 = fd_raw(&a, fd_real, B * N), *xt = fd_raw(&a, fd_real, B * N);
    fd_real *eps = fd_raw(&a, fd_real, B * N), *v = fd_raw(&a, fd_real, B * N);
    double   t[B], loss = 0;
    for (int step = 1; step <= steps && !st.code; step++) {
        fd_rng r = fd_stream(fd_seed(3), 'b', (uint32_t)step);
        fd_cov_draw(data[0], r, 0, B, x0, a);
        fd_draw_times(&p[0], FD_T_STRATIFIED, NULL, fd_stream(r, 't', 0), 0, B, t, &st);
        fd_perturb(&p[0], fd_stream(r, 'e', 0), 0, B, x0, t, xt, eps, a);       /* X_t | X_0 */
        fd_target(&p[0], FD_V, B, x0, eps, t, v, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ B, 1, N }, xt);
        fd_var *fit = fd_mse_loss(&tape, &s[0], fd_forward(net, &tape, &s[0], in, t), v, NULL);
        fd_backward(&tape, fit);
        if (fit) loss += (double)fit->x[0] / (steps / 5);
        fd_tape_end(&tape);
        fd_opt_step(opt, net, &st);
        if (step % (steps / 5) == 0) { printf("step %4d  loss %.4f\n", step, loss); loss = 0; }
    }
    char why[160];
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "train: %s\n", why); return 1; }

    fd_model model[2] = { { 0 }, fd_net_model(&a, fd_net_with(&a, net, opt->avg), FD_V) };
    fd_real *x = fd_raw(&a, fd_real, M * 2 * N);
    double   times[STEPS + 1], of_data[9], e[9];
    printf("\nerror of x0         t = 0.1     0.3     0.6\n");
    for (int i = 0; i < 4; i++) {
        int g = i / 2;
        model[0] = fd_oracle_gauss(&a, &p[g], NULL, data[g]);
        fd_cov_draw(data[g], fd_seed(4), 0, M, x, a);
        printf("%3d points, %-8s", N << g, i % 2 ? "network" : "best");
        for (int k = 0; k < 3; k++)
            printf("%8.4f", miss(&model[i % 2], &p[g], (double[]){ .1, .3, .6 }[k], x, a));
        printf("\n");
    }
    fd_spectrum(&s[1], M, x, 9, of_data, a);
    fd_times(&p[1], FD_LOGSNR, 0, STEPS, times, &st);
    fd_sampler how = { .p = &p[1], .t = times, .steps = STEPS, .scheme = FD_PF_HEUN, .denoise = 1 };
    printf("\nenergy over data's   wave 1       2       4       8\n");
    for (int i = 0; i < 2; i++) {
        how.model = model[i];
        fd_sample(&how, fd_seed(1), 0, M, x, a);
        fd_spectrum(&s[1], M, x, 9, e, a);
        printf("samples, %-10s", i ? "network" : "best");
        for (int k = 1; k < 9; k *= 2) printf("%8.2f", e[k] / of_data[k]);
        printf("\n");
    }
    mkdir("out", 0777);
    fd_net_save(&st, "out/train.safetensors", net, opt, NULL, a);
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "train: %s\n", why); return 1; }
    printf("wrote out/train.safetensors\n");
    return 0;
}
