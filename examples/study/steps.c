/* steps.c -- when steps are few, is the loss of those steps better than the continuous one?
 *
 * A question that [Survey sec. 4] leaves open, for function space. A chain of K steps has the bound
 *
 *     sum_k 1/2 (SNR(t_k+1) - SNR(t_k)) E |D(X, t_k) - x0|^2,    SNR = m^2/v
 *
 * in the norm of Cameron-Martin
 *
 * on its negative log likelihood (functional DDPM's loss, [KER]), which asks for D at its K times
 * only. The limit of many steps is the integral over all times ([Song et al. 2021]); here it is a
 * sum of 1000. One network is trained for each K by its own sum, and one for all K by that of 1000.
 * All sample by K ancestral steps at the same times, and so does the exact D, whose error is what K
 * steps cost by themselves. For comparison a network with the usual loss, of v in L2.
 *
 *   W2      between the Gaussians of samples and data, mode by mode
 *   mode 1  W2 of the coefficient of mode 1, by quantiles: it sees that a mixture has two classes
 *
 * build/steps [STEPS of training, 2000]. What it teaches is in steps.md. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 32, B = 64, DRAWS = 2048, COUNTS = 4, SEEDS = 2, LAWS = 2, CURVES = 4 };
static const int count[COUNTS] = { 4, 8, 16, 64 };
static const char *const law_name[LAWS] = { "Gaussian", "mixture" };

/* ---- Data: N(0, c), or half at mean e_1 and half at -mean e_1 -------------------------------- */

typedef struct {
    fd_space s; fd_cov *c, *all, *noise; double mean; fd_process p; fd_model exact;
} truth;

static truth truth_new(fd_arena *a, int law)
{
    truth d = { .mean = law ? 1.2 : 0 };
    const double half[2] = { .5, .5 };
    d.s = fd_grid(a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    d.c = fd_cov_matern(a, &d.s, law ? .3 : 1, .3, 1.5);
    d.all = fd_cov_matern(a, &d.s, law ? .3 : 1, .3, 1.5);
    d.noise = fd_cov_matern(a, &d.s, 1, .2, 1);
    d.p = fd_vp(d.noise, .1, 20);
    d.p.tmin = 1e-2;
    fd_real *means = fd_new(a, fd_real, 2 * N);
    if (!means) return d;
    d.all->lam[1] += d.mean * d.mean;
    means[1] = (fd_real)d.mean, means[N + 1] = (fd_real)-d.mean;
    fd_from_modes(&d.s, 2, means, means, *a);
    d.exact = fd_oracle_mix(a, &d.p, 2, half, means, (const fd_cov *[]){ d.c, d.c });
    return d;
}

static void truth_draw(const truth *d, fd_rng r, int b, fd_real *x, fd_arena a)
{
    fd_cov_draw(d->c, r, 0, b, x, a);
    fd_to_modes(&d->s, b, x, x, a);
    for (int i = 0; i < b; i++)
        x[i * N + 1] += (fd_real)(fd_index(fd_stream(r, 'c', 0), (uint64_t)i, 2) ? d->mean
                                                                                 : -d->mean);
    fd_from_modes(&d->s, b, x, x, a);
}

/* ---- Training -------------------------------------------------------------------------------- */

static double snr(const fd_process *p, double t)
{
    fd_coef f = fd_law(p, t, 0);
    return f.m * f.m / f.v;
}

/* floor_at -- E |D - x0|^2 in the norm of Cameron-Martin for Gaussian data of the same spectrum. */
static double floor_at(const truth *d, double t)
{
    fd_coef f = fd_law(&d->p, t, 0);
    double sum = 0;
    for (int k = 0; k < N; k++)
        sum += f.v * d->all->lam[k] / (f.m * f.m * d->all->lam[k] + f.v * d->noise->lam[k]);
    return sum;
}

/* trained -- by the sum over the K + 1 times of a chain, the last of which has the whole SNR(tmin):
 * it is the reconstruction of x0. Times are drawn in proportion to their part of the sum if each
 * error is floor_at, and the error of a pair counts relative to that. K = 0: the usual loss
 * instead, of v in L2 at uniform times. */
static fd_model trained(fd_arena *a, const truth *d, int K, int steps, uint64_t seed)
{
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 32, .layers = 4,
                     .fno.modes = { 24 }, .time = FD_TIME_FILM };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3, adam.warmup = 50, adam.steps = steps, adam.clip = 1, adam.ema = .995;
    fd_net *net = fd_net_new(a, &arch, fd_seed(seed));
    fd_opt *opt = fd_opt_new(a, net, &adam);
    fd_real *x0 = fd_raw(a, fd_real, B * N), *xt = fd_raw(a, fd_real, B * N);
    fd_real *eps = fd_raw(a, fd_real, B * N), *v = fd_raw(a, fd_real, B * N);
    fd_real *u = fd_raw(a, fd_real, B);
    double *t = fd_raw(a, double, K + 1), *cdf = fd_new(a, double, K + 2), at[B];
    if (K) fd_times(&d->p, FD_LOGSNR, 0, K, t, a->st);
    for (int k = 0; K && cdf && k <= K; k++)
        cdf[k + 1] = cdf[k] + (snr(&d->p, t[k < K ? k + 1 : K]) - (k < K ? snr(&d->p, t[k]) : 0))
                            * floor_at(d, t[k]);
    for (int step = 0; cdf && step < steps && !a->st->code; step++) {
        fd_rng r = fd_stream(fd_seed(seed), 'b', (uint32_t)step);
        truth_draw(d, r, B, x0, *a);
        fd_uniform(fd_stream(r, 't', 0), B, u);
        for (int i = 0, k; i < B; i++) {
            for (k = 0; k < K && (double)u[i] * cdf[K + 1] >= cdf[k + 1]; k++) { }
            at[i] = K ? t[k] : d->p.tmin + (double)u[i] * (d->p.tmax - d->p.tmin);
        }
        fd_perturb(&d->p, fd_stream(r, 'e', 0), 0, B, x0, at, xt, eps, *a);
        fd_target(&d->p, FD_V, B, x0, eps, at, v, *a);
        fd_tape tape = fd_tape_begin(a, FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ B, 1, N }, xt);
        fd_var *says = fd_forward(net, &tape, &d->s, in, at);
        if (!says) break;
        /* D - x0 = -sqrt(v) of this */
        for (int i = 0; i < B * N; i++) eps[i] = says->x[i] - v[i];
        for (int twice = 0; K && twice < 2; twice++)
            fd_loss_weigh(&d->p, FD_NORM_CM, 0, FD_X0, B, at, eps, *a);
        /* |says - v|^2 then has the gradient of the loss */
        for (int i = 0; K && i < B; i++) {
            fd_real w = (fd_real)(fd_law(&d->p, at[i], 0).v / floor_at(d, at[i]));
            for (int j = i * N; j < (i + 1) * N; j++) v[j] = says->x[j] - w * eps[j];
        }
        fd_backward(&tape, fd_mse_loss(&tape, &d->s, says, v, NULL));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a->st);
    }
    return fd_net_model(a, fd_net_with(a, net, opt->avg), FD_V);
}

/* ---- Judging --------------------------------------------------------------------------------- */

static int by_size(const void *x, const void *y)
{
    fd_real a = *(const fd_real *)x, b = *(const fd_real *)y;
    return (a > b) - (a < b);
}

/* judge -- w[0] of all modes, w[1] of mode 1, of DRAWS samples by K steps; K = 0: of data. */
static void judge(const truth *d, const fd_model *m, int K, double w[2], fd_arena a)
{
    fd_real *x = fd_raw(&a, fd_real, DRAWS * N), *y = fd_raw(&a, fd_real, DRAWS * N);
    fd_real *one = fd_raw(&a, fd_real, 2 * DRAWS), *u[2] = { x, y };
    double *t = fd_raw(&a, double, K + 1);
    if (!t) return;
    truth_draw(d, fd_seed(11), DRAWS, y, a);
    if (K) {
        fd_times(&d->p, FD_LOGSNR, 0, K, t, a.st);
        fd_sampler how = { .p = &d->p, .model = *m, .t = t, .steps = K, .scheme = FD_ANCESTRAL,
                           .denoise = 1 };
        fd_sample(&how, fd_seed(12), 0, DRAWS, x, a);
    } else truth_draw(d, fd_seed(13), DRAWS, x, a);
    w[0] = sqrt(fd_w2_modes(&d->s, DRAWS, x, DRAWS, y, a)), w[1] = 0;
    for (int k = 0; k < 2; k++) {
        fd_to_modes(&d->s, DRAWS, u[k], u[k], a);
        for (int i = 0; i < DRAWS; i++) one[k * DRAWS + i] = u[k][i * N + 1];
        qsort(one + k * DRAWS, DRAWS, sizeof *one, by_size);
    }
    for (int i = 0; i < DRAWS; i++) w[1] += pow((double)one[i] - (double)one[DRAWS + i], 2) / DRAWS;
    w[1] = sqrt(w[1]);
}

/* compare -- w of a curve for each of the numbers of steps, a mean over the seeds. */
static void compare(const truth *d, int c, int steps, double w[2][CURVES][COUNTS], fd_arena a)
{
    for (int seed = 1; seed <= (c == 3 ? 1 : SEEDS); seed++) {
        fd_arena kept = a;
        fd_model m = c == 3 ? d->exact : (fd_model){ 0 };
        if (c == 1 || c == 2) m = trained(&kept, d, c == 1 ? 1000 : 0, steps, (uint64_t)seed);
        for (int k = 0; k < COUNTS; k++) {
            fd_arena each = kept;
            double got[2] = { NAN, NAN };
            if (c == 0) m = trained(&each, d, count[k], steps, (uint64_t)seed);
            judge(d, &m, count[k], got, each);
            for (int j = 0; j < 2; j++) w[j][c][k] += got[j] / (c == 3 ? 1 : SEEDS);
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const who[CURVES] = { "loss of the K steps", "loss of 1000 steps",
                                             "usual loss", "exact D" };
    static double w[LAWS][2][CURVES][COUNTS];
    int steps = argc > 1 ? atoi(argv[1]) : 2000;
    fd_status st;
    size_t size = (size_t)256 << 20;
    void *mem = malloc(size);
    fd_arena a = fd_arena_over(mem, size, &st);
    double x[COUNTS], out[LAWS * CURVES * COUNTS][5];
    plot p[2 * LAWS];
    int rows = 0;
    if (argc > 2 || steps < 1 || !mem)
        return fprintf(stderr, "usage: steps [STEPS], with 256 MB of memory\n"), 2;
    for (int l = 0; l < LAWS; l++) {
        fd_arena own = a;
        truth d = truth_new(&own, l);
        double floor[2];
        judge(&d, NULL, 0, floor, own);
        printf("%s, %d steps of training, mean of %d seeds; other data: W2 %.3f, mode 1 "
               "%.3f\n%-22s", law_name[l], steps, SEEDS, floor[0], floor[1], "");
        for (int k = 0; k < COUNTS; k++) printf("     K = %2d        ", count[k]), x[k] = count[k];
        printf("\n");
        for (int c = 0; c < CURVES; c++) {
            compare(&d, c, steps, w[l], own);
            printf("%-22s", who[c]);
            for (int k = 0; k < COUNTS; k++, rows++) {
                printf("  %7.4f %7.4f  ", w[l][0][c][k], w[l][1][c][k]);
                memcpy(out[rows], (double[]){ l, c, count[k], w[l][0][c][k], w[l][1][c][k] },
                       sizeof out[0]);
            }
            printf("\n");
            fflush(stdout);
        }
        for (int j = 0; j < 2; j++) {
            plot_begin(&p[2 * l + j], 480, 400, law_name[l], "steps", j ? "W2 of mode 1" : "W2", 1,
                       1);
            for (int c = 0; c < CURVES; c++)
                plot_line(&p[2 * l + j], COUNTS, x, w[l][j][c], l || j ? "" : who[c],
                          c == 3 ? PLOT_DASHED : PLOT_SOLID);
        }
    }
    mkdir("out", 0777);
    plot_grid(&st, LAWS, 2, p, "out/steps.png", a);
    fd_csv_save(&st, "out/steps.csv", 5, (const char *[]){ "law", "by", "steps", "w2", "mode1" },
                rows, out[0]);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "steps: %s\n", why), 1;
    printf("wrote out/steps.png and out/steps.csv\n");
    return 0;
}
