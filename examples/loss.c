/* loss.c -- how is a network trained with a loss of my own? loss [STEPS of training, 300].
 *
 * A loss is whatever a program makes of the network's output on a tape. Here it is |r|^2 in the
 * norm of H^1, int r^2 + (r'/w)^2, w = 2 pi 2, in place of L2: the residual r goes through (1 +
 * mu/w^2)^1/2, mu the eigenvalues of -d^2/dx^2, which is the power 1/2 of an operator of one's
 * own. A network learns by each to say x0 of functions with noise; printed is its squared error by
 * waves over that of the best denoiser, which is 1 at best. H^1 counts high waves more, and they
 * come out better. */
#include "fd.h"
#include <stdio.h>
#include <stdlib.h>

enum { N = 64, B = 64, M = 512, BINS = 25 };
static char mem[256 << 20];

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 300;
    if (argc > 2 || steps < 1) return fprintf(stderr, "usage: loss [STEPS, at least 1]\n"), 2;
    fd_status  st;
    fd_arena   a = fd_arena_over(mem, sizeof mem, &st);
    fd_space   s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov    *data = fd_cov_matern(&a, &s, 1.0, 0.3, 1.5), *own = NULL;
    fd_process p = fd_vp(fd_cov_matern(&a, &s, 1.0, 0.1, 1.5), 0.1, 20.0);
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 24, .layers = 3,
                     .fno.modes = { 48 }, .time = FD_TIME_FILM };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 3e-3, adam.warmup = 50, adam.steps = steps, adam.clip = 1, adam.ema = .995;
    fd_real *x0 = fd_raw(&a, fd_real, M * N), *xt = fd_raw(&a, fd_real, M * N);
    fd_real *y = fd_raw(&a, fd_real, M * N);
    double  *mu = fd_raw(&a, double, s.modes), t[M], e[3][BINS], w = 2 * 3.14159265 * 2;
    fd_laplace(&s, mu, a);
    for (int k = 0; mu && k < N; k++) mu[k] = 1 + mu[k] / (w * w);
    own = fd_cov_table(&a, &s, mu);
    for (int which = 0; which < 3 && y; which++) {               /* L2, H^1, the best denoiser */
        fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
        fd_opt *opt = fd_opt_new(&a, net, &adam);
        for (int k = 0; k < steps && which < 2 && !st.code; k++) {
            fd_rng r = fd_stream(fd_seed(2), 'b', (uint32_t)k);
            fd_cov_draw(data, r, 0, B, x0, a);
            fd_draw_times(&p, FD_T_STRATIFIED, NULL, fd_stream(r, 't', 0), 0, B, t, &st);
            fd_perturb(&p, fd_stream(r, 'e', 0), 0, B, x0, t, xt, NULL, a);
            fd_tape tape = fd_tape_begin(&a, FD_GRAD);
            fd_var *in = fd_input(&tape, 3, (int[]){ B, 1, N }, xt);
            fd_var *res = fd_sub(&tape, fd_forward(net, &tape, &s, in, t),
                                 fd_input(&tape, 3, (int[]){ B, 1, N }, x0));
            if (which) res = fd_cov_apply(&tape, own, .5, res);                       /* the loss */
            fd_backward(&tape, fd_affine(&tape, fd_map(&tape, res, FD_SQUARE), 1. / (B * N), 0));
            fd_tape_end(&tape);
            fd_opt_step(opt, net, &st);
        }
        fd_model m = fd_oracle_gauss(&a, &p, NULL, data);
        if (which < 2 && !st.code) m = fd_net_model(&a, fd_net_with(&a, net, opt->avg), FD_X0);
        for (int i = 0; i < M; i++) t[i] = .2;
        fd_cov_draw(data, fd_seed(3), 0, M, x0, a);
        fd_perturb(&p, fd_seed(4), 0, M, x0, t, xt, NULL, a);
        fd_predict(&m, FD_X0, &p, M, xt, t, y, a);
        for (int i = 0; i < M * N; i++) y[i] -= x0[i];
        fd_spectrum(&s, M, y, BINS, e[which], a);
    }
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "loss: %s\n", why), 1;
    printf("squared error over the best one's, t = 0.2\n%8s%8s%8s\n", "wave", "L2", "H^1");
    for (int k = 1; k < BINS; k *= 2)
        printf("%8d%8.2f%8.2f\n", k, e[0][k] / e[2][k], e[1][k] / e[2][k]);
    return 0;
}
