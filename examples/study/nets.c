/* nets.c -- how do the kinds of networks compare? nets [NETWORK [STEPS [SAMPLES]]]: each of them,
 * small, is trained on 64 points and draws samples on 128, in 6 to 30 seconds on two cores of an
 * AMD EPYC that nothing else uses. train.c does this for one network, in fewer lines.
 *
 * The data are a mixture of two Gaussian random functions, so the best possible denoiser is known
 * (fd_oracle_mix). The network's error is printed beside its error, and samples of both beside
 * other data: the energy distance to data (the estimate has no bias, so it is 0 on average) and the
 * energy of some waves over that of data. A network's error is spread over all waves and shows in
 * the high ones first, which hold little of the data; `fd train` leaves those to an exact Gaussian
 * model (--precond gauss).
 *
 * Fourier operators need a coordinate as input: without it they treat all shifts of a function
 * alike, and no such denoiser has an error below 0.34 at t = 0.3. A transformer's patches cover
 * half the length on twice the points, which it has not seen; above a field it reads 64 points on
 * any grid. Fields see x where they are evaluated (pixels): in so few steps their modulations alone
 * learn the sign of the mean and no more. */
#include "fd.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 64, B = 64, STEPS = 30 };

#define IO .nd = 1, .in = 1, .out = 1
#define FOURIER IO, .width = 32, .layers = 4, .time = FD_TIME_FILM, .coords = FD_COORD_OPEN
#define TRANSFORMER IO, .width = 64, .vit.patch = { 4 }, .grid = { N }, .time = FD_TIME_TOKEN
#define FIELD .field = { .kind = FD_SIREN, .width = 32, .layers = 2, .pixels = 1 }, \
    .inr = { .latent = 32, .omega = 10 }
#define ADAPTS IO, .width = 32, .layers = 2, .time = FD_TIME_CHANNEL, .inr.inner = 3, \
    .inr.rates = 1, .inr.omega = 10
static const struct { const char *name; int steps, samples; fd_arch arch; } nets[] = {
    { "fno", 1500, 512, { .kind = FD_FNO_BLOCK, FOURIER, .fno.modes = { 24 } } },
    { "fno-original", 1500, 512, { .kind = FD_FNO_ORIGINAL, FOURIER, .fno.modes = { 12 } } },
    { "uno", 1500, 512, { .kind = FD_UNO, IO, .width = 16, .u.levels = 3, .fno.modes = { 24 },
                          .time = FD_TIME_FILM, .coords = FD_COORD_OPEN } },
    { "unet", 1500, 512, { .kind = FD_FNO_UNET, IO, .width = 16, .layers = 1, .u.levels = 3,
                           .fno.modes = { 24 }, .time = FD_TIME_FILM, .coords = FD_COORD_OPEN } },
    { "fno-separable", 1500, 512, { .kind = FD_FNO_SEPARABLE, IO, .width = 32, .layers = 4,
                                    .fno.modes = { 12 }, .time = FD_TIME_TOKEN,
                                    .coords = FD_COORD_OPEN } },
    { "points", 1500, 512, { .kind = FD_POINTS, IO, .width = 48, .layers = 2, .time = FD_TIME_FILM,
                             .points = { .latent = 16, .pixels = 1 } } },
    { "vit", 1500, 512, { .kind = FD_VIT, TRANSFORMER, .layers = 4 } },
    { "uvit", 1500, 512, { .kind = FD_UVIT, TRANSFORMER, .layers = 5 } },
    { "vit-field", 1500, 512, { .kind = FD_VIT, TRANSFORMER, .layers = 3, FIELD } },
    { "uvit-field", 1500, 512, { .kind = FD_UVIT, TRANSFORMER, .layers = 3, FIELD } },
    { "fno-field", 1500, 512, { .kind = FD_FNO_BLOCK, FOURIER, .fno.modes = { 24 }, FIELD } },
    { "siren", 2000, 256, { .kind = FD_SIREN, ADAPTS, .inr.mod = FD_MOD_SCALE } },
    { "gabor", 1500, 256, { .kind = FD_GABOR, ADAPTS, .inr.mod = FD_MOD_WEIGHTS } },
};
enum { NETS = sizeof nets / sizeof *nets };

/* number -- a whole number from 1 on; 0 for anything else. */
static int number(const char *s)
{
    char *end;
    long v = strtol(s, &end, 10);
    return *end || v < 1 || v > 1000000 ? 0 : (int)v;
}

/* The data on some points: +mean or -mean, plus a draw of N(0, c). */
typedef struct { fd_space s; fd_process p; fd_cov *c; fd_real *mean; } law;

/* draws -- m functions of the data. */
static void draws(const law *d, fd_rng r, int m, fd_real *x, fd_arena a)
{
    ptrdiff_t n = fd_size(&d->s);
    fd_cov_draw(d->c, r, 0, m, x, a);
    for (int i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            x[i * n + j] += (fd_index(fd_stream(r, 'c', 0), (uint64_t)i, 2) ? 1 : -1) * d->mean[j];
}

/* miss -- mean squared distance of the prediction of x0 from M functions x0, at time t. */
static double miss(const fd_model *m, const fd_process *p, double t, int M, const fd_real *x0,
                   fd_arena a)
{
    ptrdiff_t n = M * fd_size(&p->noise->s);
    fd_real *xt = fd_raw(&a, fd_real, n), *y = fd_raw(&a, fd_real, n);
    double *time = fd_raw(&a, double, M), sum = 0;
    for (int i = 0; time && i < M; i++) time[i] = t;
    fd_perturb(p, fd_seed(5), 0, M, x0, time, xt, NULL, a);
    fd_predict(m, FD_X0, p, M, xt, time, y, a);
    for (ptrdiff_t i = 0; time && i < n; i++) {
        double e = (double)y[i] - (double)x0[i];
        sum += e * e / (double)n;
    }
    return sum;
}

/* train -- the network by the data, as train.c does. */
static void train(fd_net *net, fd_opt *opt, const law *d, int steps, fd_arena a)
{
    const int each = steps < 6 ? 1 : steps / 6;
    fd_real *x0 = fd_raw(&a, fd_real, B * N), *xt = fd_raw(&a, fd_real, B * N);
    fd_real *eps = fd_raw(&a, fd_real, B * N), *v = fd_raw(&a, fd_real, B * N);
    double t[B], loss = 0;
    for (int step = 0; step < steps && !a.st->code; step++) {
        fd_rng r = fd_stream(fd_seed(3), 'b', (uint32_t)step);
        draws(d, r, B, x0, a);
        fd_draw_times(&d->p, FD_T_STRATIFIED, NULL, fd_stream(r, 't', 0), 0, B, t, a.st);
        fd_perturb(&d->p, fd_stream(r, 'e', 0), 0, B, x0, t, xt, eps, a);     /* X_t | X_0 */
        fd_target(&d->p, FD_V, B, x0, eps, t, v, a);
        fd_tape tape = fd_tape_begin(&a, net->arch.inr.inner ? FD_GRAD2 : FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ B, 1, N }, xt);
        fd_var *fit = fd_mse_loss(&tape, &d->s, fd_forward(net, &tape, &d->s, in, t), v, NULL);
        fd_backward(&tape, fit);
        if (fit) loss += ((double)fit->x[0] - loss) / (step % each + 1);
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a.st);
        if (step % each == each - 1) { printf("step %4d  loss %.4f\n", step + 1, loss); loss = 0; }
    }
}

/* compare -- M samples x of the best model and of the network beside other data. */
static void compare(const law *d, const fd_model *best, const fd_model *says, int M, fd_real *x,
                    fd_arena a)
{
    static const char *const what[] = { "other data", "samples, best", "samples, network" };
    fd_real *y = fd_raw(&a, fd_real, M * 2 * N);
    double times[STEPS + 1], data[9], e[9];
    if (!y) return;
    fd_times(&d->p, FD_UNIFORM, 0, STEPS, times, a.st);
    fd_sampler how = { .p = &d->p, .t = times, .steps = STEPS, .scheme = FD_PF_HEUN, .denoise = 1 };
    draws(d, fd_seed(8), M, y, a);
    fd_spectrum(&d->s, M, y, 9, data, a);
    printf("\nbeside data on %d points   energy distance   energy of waves 1       2       4      "
           " 8\n", 2 * N);
    for (int i = 0; i < 3 && !a.st->code; i++) {
        how.model = i == 2 ? *says : *best;
        if (i) fd_sample(&how, fd_seed(1), 0, M, x, a);
        else draws(d, fd_seed(9), M, x, a);
        fd_spectrum(&d->s, M, x, 9, e, a);
        printf("%-27s%15.4f%21.2f", what[i], fd_energy_distance(&d->s, M, x, M, y), e[1] / data[1]);
        for (int k = 2; k < 9; k *= 2) printf("%8.2f", e[k] / data[k]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    int which = 0;
    while (argc > 1 && which < NETS && strcmp(nets[which].name, argv[1])) which++;
    int steps = argc > 2 ? number(argv[2]) : nets[which % NETS].steps;
    int M = argc > 3 ? number(argv[3]) : nets[which % NETS].samples;
    if (which == NETS || steps < 1 || M < 2 || argc > 4) {
        fputs("usage: nets [NETWORK [STEPS [SAMPLES]]]; networks:", stderr);
        for (int i = 0; i < NETS; i++) fprintf(stderr, " %s", nets[i].name);
        fputs("\n", stderr);
        return 2;
    }
    fd_status st;
    size_t size = (size_t)2 << 30;
    void *mem = malloc(size);
    fd_arena a = fd_arena_over(mem, mem ? size : 0, &st);
    law d[2];
    for (int g = 0; g < 2; g++) {                      /* the same laws on N and on 2N points */
        fd_space s = d[g].s = fd_grid(&a, 1, (int[]){ N << g }, NULL, NULL, 1);
        d[g].p = fd_vp(fd_cov_matern(&a, &s, 1.0, 0.1, 1.5), 0.1, 20.0);
        d[g].c = fd_cov_matern(&a, &s, 0.1, 0.2, 1.5);
        d[g].mean = fd_raw(&a, fd_real, N << g);
        fd_cov_draw(fd_cov_matern(&a, &s, 1.0, 0.4, 3.5), fd_seed(7), 0, 1, d[g].mean, a);
    }
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3; adam.warmup = 50; adam.steps = steps; adam.clip = 1; adam.ema = 0.995;
    fd_net *net = fd_net_new(&a, &nets[which].arch, fd_seed(2));
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    printf("%s, %ld weights\n", nets[which].name, net ? (long)net->count : 0);
    train(net, opt, &d[0], steps, a);

    fd_real *x = fd_raw(&a, fd_real, M * 2 * N);
    fd_real *means[2] = { fd_raw(&a, fd_real, 2 * N), fd_raw(&a, fd_real, 4 * N) };
    char why[160];
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "nets: %s\n", why); return 1; }
    fd_model best = { 0 }, says = fd_net_model(&a, fd_net_with(&a, net, opt->avg), FD_V);
    printf("\nerror of x0         t = 0.1     0.3     0.6\n");
    for (int g = 0; g < 2 && !st.code; g++) {
        int n = N << g;
        for (int i = 0; i < n; i++) means[g][i] = d[g].mean[i], means[g][n + i] = -d[g].mean[i];
        best = fd_oracle_mix(&a, &d[g].p, 2, (double[]){ 0.5, 0.5 }, means[g],
                             (const fd_cov *[]){ d[g].c, d[g].c });
        draws(&d[g], fd_seed(4), M, x, a);
        for (int i = 0; i < 2; i++) {
            printf("%3d points, %-8s", n, i ? "network" : "best");
            for (int k = 0; k < 3; k++)
                printf("%8.4f", miss(i ? &says : &best, &d[g].p, (double[]){ .1, .3, .6 }[k], M, x,
                                     a));
            printf("\n");
        }
    }
    compare(&d[1], &best, &says, M, x, a);
    mkdir("out", 0777);
    fd_npy_save(&st, "out/nets.npy", 2, (int[]){ M, 2 * N }, x);
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "nets: %s\n", why); return 1; }
    printf("wrote out/nets.npy\n");
    return 0;
}
