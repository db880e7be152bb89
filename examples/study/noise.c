/* noise.c -- how regular should the noise be, and in which norm is its score learned?
 *
 * [DDO fig. 9] shows the error of learned scores at several resolutions for two losses. Here the
 * minimisers are known. Data N(0, c), one noise level, x = x0 + sqrt(v) xi, xi ~ N(0, C), the score
 * s*_k = -lam/(c + v lam) x_k. A linear Fourier operator with free weights on |k| <= 8 and one
 * number w for all other modes is exact on the first; on the others
 *
 *     loss = floor + sum_k>8 p (w + lam/P)^2 P,   P = c + v lam,   w = - sum p lam / sum p P,
 *     p = 1 in L2,   p = 1/lam in the norm of Cameron-Martin.
 *
 * Errors of the two minimisers in both norms, relative to the true score's, at n = 32 .. 1024
 * points, for noise a little and much rougher than the data. Then an operator of the library is
 * trained by each loss, and its error, exactly, from what it does to every mode, is set beside.
 *
 * build/noise [STEPS, 1000]: table, out/noise.csv, out/noise.png. See noise.md. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { GRIDS = 6, FREE = 8, B = 64, NOISES = 2, NORMS = 2, REAL = 4096 };
static const double LEVEL = .1;
static const char *const noise_name[NOISES] = { "noise k^-2", "noise k^-4" };
static const char *const norm_name[NORMS] = { "L2", "Cameron-Martin" };
static const char *const curve[4] = { "best by L2 loss", "best by C-M loss", "trained, L2 loss",
                                      "trained, C-M loss" };

/* The errors of the score w_k x_k in both norms, relative to the size of the true one. */
typedef struct { double w, err[NORMS]; } answer;

/* minimiser -- of the loss in norm `by`; tail: the modes that share one weight. */
static answer minimiser(const fd_cov *c, const fd_cov *C, int by)
{
    answer r = { 0, { 0, 0 } };
    double up = 0, down = 0, size[NORMS] = { 0, 0 };
    for (ptrdiff_t k = 2 * FREE + 1; k < C->s.modes; k++) {
        double lam = C->lam[k], p = by ? 1 / lam : 1, P = c->lam[k] + LEVEL * lam;
        if (lam > 0) up -= p * lam, down += p * P;
    }
    r.w = up / down;
    for (ptrdiff_t k = 0; k < C->s.modes; k++) {
        double lam = C->lam[k], P = c->lam[k] + LEVEL * lam, w = k > 2 * FREE ? r.w : -lam / P;
        for (int i = 0; i < NORMS && lam > 0; i++) {
            r.err[i] += (i ? 1 / lam : 1) * pow(w + lam / P, 2) * P;
            size[i] += (i ? 1 / lam : 1) * lam * lam / P;
        }
    }
    for (int i = 0; i < NORMS; i++) r.err[i] = sqrt(r.err[i] / size[i]);
    return r;
}

/* second -- of the score made of the variances of REAL functions, to first order in their error. */
static answer second(const fd_cov *c, const fd_cov *C)
{
    answer r = { 0, { 0, 0 } };
    double size[NORMS] = { 0, 0 };
    for (ptrdiff_t k = 0; k < C->s.modes; k++) {
        double lam = C->lam[k], P = c->lam[k] + LEVEL * lam;
        for (int i = 0; i < NORMS && lam > 0; i++) {
            r.err[i] += (i ? 1 / lam : 1) * pow(lam * c->lam[k] / (P * P), 2) * 2 / REAL * P;
            size[i] += (i ? 1 / lam : 1) * lam * lam / P;
        }
    }
    for (int i = 0; i < NORMS; i++) r.err[i] = sqrt(r.err[i] / size[i]);
    return r;
}

/* trained -- the same of a network trained by the loss in norm `by`. */
static answer trained(const fd_cov *c, const fd_cov *C, int by, int steps, fd_arena a)
{
    const fd_space *s = &C->s;
    const int n = (int)s->points;
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 1,
                           .layers = 1,
                           .fno = { .modes = { 2 * FREE + 1 }, .lift = -1, .proj = -1,
                                    .linear = 1 } };
    fd_process p = fd_driftless(C, 1);
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.lr = .05, how.steps = steps, how.ema = 0;
    fd_opt *opt = fd_opt_new(&a, net, &how);
    fd_real *x0 = fd_raw(&a, fd_real, B * n), *x = fd_raw(&a, fd_real, B * n);
    fd_real *xi = fd_raw(&a, fd_real, B * n), *zero = fd_new(&a, fd_real, B * n);
    double t[B], size[NORMS] = { 0, 0 };
    for (ptrdiff_t i = 0; net && i < net->count; i++) net->w[i] = 0;
    for (int i = 0; net && i < net->parts; i++)           /* it begins at 0: lift, projection 1 */
        if (!strcmp(net->part[i].name, "lift0.w") || !strcmp(net->part[i].name, "proj0.w"))
            net->w[net->part[i].at] = 1;
    answer r = { 0, { 0, 0 } };
    for (int i = 0; i < B; i++) t[i] = LEVEL;
    for (int i = 0; i < steps && !a.st->code; i++) {
        fd_cov_draw(c, fd_seed(2), i * B, B, x0, a);
        fd_perturb(&p, fd_seed(3), i * B, B, x0, t, x, xi, a);
        fd_target(&p, FD_SCORE, B, x0, xi, t, xi, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *y = fd_forward(net, &tape, s, fd_input(&tape, 3, (int[]){ B, 1, n }, x), NULL);
        fd_var *d = fd_input(&tape, 3, (int[]){ B, 1, n }, xi);
        d = fd_sub(&tape, y, fd_affine(&tape, d, LEVEL, 0));      /* it learns v s, of size one */
        if (by) d = fd_cov_apply(&tape, C, -.5, d);
        fd_backward(&tape, fd_mse_loss(&tape, s, d, zero, NULL));
        fd_opt_step(opt, net, a.st);
        fd_tape_end(&tape);
    }
    for (int k = 0; k < n && x; k++) {                  /* what becomes of each mode, and of 0 */
        const double lam = C->lam[k], P = c->lam[k] + LEVEL * lam;
        fd_tape tape = fd_tape_begin(&a, FD_EVAL);
        memset(x, 0, 2 * (size_t)n * sizeof *x);
        x[k] = 1;
        fd_from_modes(s, 1, x, x, a);
        fd_var *y = fd_forward(net, &tape, s, fd_input(&tape, 3, (int[]){ 2, 1, n }, x), NULL);
        if (!y || !(lam > 0)) continue;
        for (int i = 0; i < n; i++) x[i] = (y->x[i] - y->x[n + i]) / (fd_real)LEVEL;
        fd_to_modes(s, 1, x, x, a);
        if (k == n - 2) r.w = (double)x[k];
        for (int j = 0; j < n; j++)
            for (int i = 0; i < NORMS && C->lam[j] > 0; i++)
                r.err[i] += (i ? 1 / C->lam[j] : 1) * P
                          * pow((double)x[j] + (j == k ? lam / P : 0), 2);
        for (int i = 0; i < NORMS; i++) size[i] += (i ? 1 / lam : 1) * lam * lam / P;
        fd_tape_end(&tape);
    }
    for (int i = 0; i < NORMS; i++) r.err[i] = sqrt(r.err[i] / size[i]);
    return r;
}

int main(int argc, char **argv)
{
    static const char *const head[] = { "noise", "loss", "points", "w", "error_l2", "error_cm",
                                        "trained_w", "trained_l2", "trained_cm" };
    static double out[NOISES * NORMS * GRIDS][9], at[GRIDS], line[2][NOISES][NORMS][NORMS][GRIDS];
    const int steps = argc > 1 ? atoi(argv[1]) : 1000;
    size_t size = (size_t)128 << 20;
    void *mem = malloc(size);
    fd_status st;
    fd_arena all = fd_arena_over(mem, size, &st);
    answer other = { 0, { 0, 0 } };
    plot p[NORMS];
    int rows = 0;
    if (!mem) return fprintf(stderr, "noise: needs 128 MB of memory\n"), 1;
    for (int q = 0; q < NOISES; q++)
        for (int by = 0; by < NORMS; by++) {
            printf("%s, loss in %s\n%8s %9s %9s %9s  trained: %5s %9s %9s\n", noise_name[q],
                   norm_name[by], "points", "w", "err. L2", "err. CM", "w", "err. L2", "err. CM");
            for (int g = 0; g < GRIDS; g++, rows++) {
                fd_arena a = all;
                const int n = 32 << g;
                fd_space s = fd_grid(&a, 1, &n, NULL, NULL, 1);
                fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 2.5);
                fd_cov *C = fd_cov_matern(&a, &s, 1, .3, q ? 1.5 : .5);
                answer r = minimiser(c, C, by), net = trained(c, C, by, steps, a);
                printf("%8d %9.4f %9.5f %9.5f %14.4f %9.5f %9.5f\n", n, r.w, r.err[0], r.err[1],
                       net.w, net.err[0], net.err[1]);
                fflush(stdout);
                at[g] = n;
                for (int i = 0; i < NORMS; i++)
                    line[0][q][i][by][g] = r.err[i], line[1][q][i][by][g] = net.err[i];
                other = second(c, C);
                memcpy(out[rows], (double[]){ q, by, n, r.w, r.err[0], r.err[1], net.w, net.err[0],
                                              net.err[1] }, sizeof out[0]);
            }
        }
    const double *l2 = out[2 * GRIDS + GRIDS - 1], *cm = out[3 * GRIDS + GRIDS - 1];
    printf("verdict (noise k^-4, %.0f points; errors in L2 / Cameron-Martin, exact score 0 / 0):\n"
           "by the variances of %d real functions %.4f / %.4f; best operator by the loss in L2 %.4f"
           " / %.4f,\nby that in Cameron-Martin %.4f / %.4f; trained %d steps %.4f / %.4f and "
           "%.4f / %.4f\n", l2[2], REAL, other.err[0], other.err[1], l2[4], l2[5], cm[4], cm[5],
           steps, l2[7], l2[8], cm[7], cm[8]);
    for (int i = 0; i < NORMS; i++) {
        plot_begin(&p[i], 800, 480, i ? "error of the score in Cameron-Martin"
                   : "error of the score in L2", "points (solid: noise k^-4, dashed: k^-2)", NULL,
                   1, 1);
        p[i].beside = 1;
        for (int k = 0; k < 4; k++)
            for (int q = NOISES - 1; q >= 0; q--)
                plot_line(&p[i], GRIDS, at, line[k / 2][q][i][k % 2], q ? curve[k] : NULL,
                          q ? PLOT_SOLID : PLOT_DASHED);
    }
    mkdir("out", 0777);
    plot_row(&st, NORMS, p, "out/noise.png", all);
    fd_csv_save(&st, "out/noise.csv", 9, head, rows, out[0]);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "noise: %s\n", why), 1;
    printf("wrote out/noise.png and out/noise.csv\n");
    return 0;
}
