/* reward.c -- how is a model made to draw what a reward asks for, if the reward can only be called?
 *
 * The model is the exact one of Gaussian random functions, the reward r = -1/2 |y - A x|^2/noise^2
 * for four values y of x. The best model for E r - KL then is the posterior, which is known; and
 * E r - KL is at most log E exp(r). A network F changes the model by C^1/2 F, so that paths before
 * and after have densities to each other on every grid. It learns
 *   by REINFORCE: steps are pulled to where paths of high reward went; the KL to the old model is a
 *     cost, and the baseline is the reward of what the old model expects at that step;
 *   by reward-weighted regression: draws of the old model, the denoising loss, weights exp(r).
 * Printed are the errors of mean and deviation as in posterior.c; out/reward.png shows how often
 * each value is taken at each point: before, after both, and by the exact posterior.
 * reward [ROUNDS of REINFORCE, 300]. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { N = 32, M = 4, B = 128, S = 20, DRAWS = 4000, POOL = 20000, FIT = 1500, H = 96, W = 4 * N };
static const double NOISE = .4;
static char mem[256 << 20];

typedef struct {
    fd_space s;
    fd_cov *c;
    fd_process p;
    fd_precond *pre;                     /* D_now = G + cout F, G the old model */
    fd_model old, now, avg;
    fd_obs o;
    double y[M], t[S + 1];
    fd_net *net;
    fd_opt *opt;
} task;

static double reward(const task *q, const fd_real *x, fd_arena a)
{
    return -fd_obs_misfit(&q->o, q->y, x, NULL, a);
}

/* Step k: x' = ax x + aD D + sd xi. Its noise has the variance that the data have given x, too, so
 * that the sampler is exact for the old model. */
static fd_row step_of(const task *q, int k, fd_status *st)
{
    fd_row r = fd_step_row(&q->p, FD_ANCESTRAL_OPTIMAL, 0, q->t[k], q->t[k + 1], 0, st);
    fd_coef f = fd_law(&q->p, q->t[k], 0);
    r.sd = sqrt(r.sd * r.sd + r.gain * r.gain * f.v / (f.m * f.m + f.v));
    return r;
}

/* network -- F, which says 0 at first. */
static void network(task *q, int steps, double lr, fd_arena *a)
{
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 16, .layers = 2,
                     .time = FD_TIME_FILM, .coords = FD_COORD_OPEN,
                     .fno = { .modes = { 16 }, .lift = 32, .proj = 32 } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = lr; adam.warmup = 5; adam.steps = steps; adam.clip = 1; adam.ema = .95;
    q->net = fd_net_new(a, &arch, fd_seed(2));
    q->opt = fd_opt_new(a, q->net, &adam);
    if (!q->opt) return;
    for (ptrdiff_t i = q->net->part[q->net->parts - 2].at; i < q->net->count; i++)
        q->net->w[i] = q->opt->avg[i] = 0;
    for (int i = 0; i < 2; i++) {
        fd_model F = fd_net_model(a, i ? fd_net_with(a, q->net, q->opt->avg) : q->net, FD_X0);
        F = fd_precond_model(a, q->pre, F);
        *(i ? &q->avg : &q->now) = fd_policy_model(a, &q->p, q->old, F, .5);
    }
}

/* climb -- a round of REINFORCE; sum += E r, KL and |D - D_old|_C. */
static void climb(task *q, int round, double sum[3], fd_arena a)
{
    const ptrdiff_t n = B * N;
    fd_sampler how = { .p = &q->p, .model = q->now, .t = q->t, .steps = S,
                       .scheme = FD_ANCESTRAL_OPTIMAL };
    fd_run *run = fd_begin(&a, &how, fd_stream(fd_seed(9), 'r', (uint32_t)round), 0, B);
    fd_real *x = fd_raw(&a, fd_real, (S + 1) * n), *mu = fd_raw(&a, fd_real, S * n);
    fd_real *old = fd_raw(&a, fd_real, n), *in = fd_raw(&a, fd_real, n);
    fd_real *g = fd_raw(&a, fd_real, n), *zero = fd_new(&a, fd_real, n);
    double *kl = fd_raw(&a, double, S * B), *base = fd_raw(&a, double, S * B), back[B], t[B];
    double norm[B], ratio[B];
    for (int k = 0; k < S && base && !a.st->code; k++) {
        fd_row row = step_of(q, k, a.st);
        for (int i = 0; i < B; i++) t[i] = q->t[k];
        memcpy(x + k * n, run->x, (size_t)n * sizeof *x);
        fd_predict(&q->old, FD_X0, &q->p, B, run->x, t, old, a);
        fd_step(run, a);
        for (ptrdiff_t i = 0; i < n; i++) {
            double is = row.ax * (double)x[k * n + i] + row.aD * (double)run->d[i];
            mu[k * n + i] = (fd_real)is;
            g[i] = run->d[i] - old[i];
        }
        fd_policy_ratio(q->c, 1, B, g, zero, zero, ratio, norm, a);
        for (int i = 0; i < B; i++) {
            kl[k * B + i] = pow(row.aD * norm[i] / row.sd, 2) / 2;
            base[k * B + i] = reward(q, old + i * N, a);
            sum[1] += kl[k * B + i] / B, sum[2] += norm[i] / (S * B);
        }
    }
    if (a.st->code) return;
    memcpy(x + S * n, run->x, (size_t)n * sizeof *x);
    for (int i = 0; i < B; i++) sum[0] += (back[i] = reward(q, run->x + i * N, a)) / B;
    for (int k = S - 1; k >= 0; k--) {                 /* back: reward less the KL of later steps */
        fd_row row = step_of(q, k, a.st);
        double mean = 0, cin, cout;
        for (int i = 0; i < B; i++) mean += (back[i] - base[k * B + i]) / B, t[i] = q->t[k];
        fd_precond_scale(q->pre, q->t[k], &cin, &cout);
        fd_precond_pair(q->pre, B, x + k * n, x + k * n, t, in, old, a);
        fd_policy_pull(q->c, row.sd, .5, B, mu + k * n, x + (k + 1) * n, g, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *seen = fd_input(&tape, 3, (int[]){ B, 1, N }, in);
        fd_var *F = fd_forward(q->net, &tape, &q->s, seen, t);
        const double c = row.aD * cout / sqrt(q->c->lam[0]);           /* mu = mu_old + c C^1/2 F */
        for (ptrdiff_t i = 0; i < n && F; i++) {
            double f = (double)F->x[i];
            double adv = (back[i / N] - base[k * B + i / N] - mean) * B / (B - 1.);
            g[i] = (fd_real)(f + .5 * c * (adv * (double)g[i] - c / (row.sd * row.sd) * f));
        }
        fd_backward(&tape, fd_mse_loss(&tape, &q->s, F, g, NULL));     /* slope 2 (f - g), in f */
        fd_tape_end(&tape);
        for (int i = 0; i < B; i++) back[i] -= kl[k * B + i];
    }
    fd_opt_step(q->opt, q->net, a.st);
}

/* regress -- reward-weighted regression: F learns to denoise draws of the old law, taken by their
 * weights. */
static void regress(task *q, fd_arena a)
{
    fd_real *pool = fd_raw(&a, fd_real, POOL * N), x0[B * N], xt[B * N], in[B * N], y[B * N], u[B];
    double *r = fd_raw(&a, double, POOL), *w = fd_raw(&a, double, POOL), t[B], ess = 0;
    fd_cov_draw(q->c, fd_seed(6), 0, POOL, pool, a);
    for (int i = 0; i < POOL && w; i++) r[i] = reward(q, pool + i * N, a);
    fd_reward_weights(POOL, r, 1, w, a.st);
    for (int i = 0; i < POOL && w; i++) ess += w[i] * w[i], w[i] += i ? w[i - 1] : 0;
    for (int step = 1; step <= FIT && !a.st->code; step++) {
        fd_rng seed = fd_stream(fd_seed(7), 'b', (uint32_t)step);
        fd_uniform(fd_stream(seed, 'u', 0), B, u);
        for (int i = 0; i < B; i++) {
            int lo = 0, hi = POOL - 1;
            while (lo < hi) {
                int mid = (lo + hi) / 2;
                if (w[mid] < (double)u[i]) lo = mid + 1;
                else hi = mid;
            }
            memcpy(x0 + i * N, pool + lo * N, N * sizeof *x0);
            t[i] = q->t[fd_index(fd_stream(seed, 'k', 0), (uint64_t)i, S)];
        }
        fd_perturb(&q->p, fd_stream(seed, 'e', 0), 0, B, x0, t, xt, NULL, a);
        fd_precond_pair(q->pre, B, x0, xt, t, in, y, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *seen = fd_input(&tape, 3, (int[]){ B, 1, N }, in);
        fd_var *F = fd_forward(q->net, &tape, &q->s, seen, t);
        F = fd_affine(&tape, fd_cov_apply(&tape, q->c, .5, F), 1 / sqrt(q->c->lam[0]), 0);
        fd_backward(&tape, fd_mse_loss(&tape, &q->s, F, y, NULL));
        fd_tape_end(&tape);
        fd_opt_step(q->opt, q->net, a.st);
    }
    printf("the weights of %d draws count as %.0f of equal weight\n", POOL, 1 / ess);
}

/* look -- errors of draws, and how often each value is taken at each point, as a picture. */
static void look(const char *name, const fd_real *x, const fd_posterior *exact, const fd_real *sd,
                 fd_real *picture)
{
    double dm = 0, ds = 0, nm = 0, ns = 0;
    for (int i = 0; i < N; i++) {
        double m = 0, v = 0;
        for (int b = 0; b < DRAWS; b++) m += (double)x[b * N + i] / DRAWS;
        for (int b = 0; b < DRAWS; b++) v += pow((double)x[b * N + i] - m, 2) / (DRAWS - 1);
        dm += pow(m - (double)exact->mean[i], 2), nm += pow((double)exact->mean[i], 2);
        ds += pow(sqrt(v) - (double)sd[i], 2), ns += pow((double)sd[i], 2);
        for (int b = 0; b < DRAWS; b++) {
            int row = (int)((2.4 - (double)x[b * N + i]) / 4.8 * H);
            for (int k = 0; k < W / N && row >= 0 && row < H; k++)
                picture[row * W + W / N * i + k] += (fd_real)(H / (4.8 * DRAWS));
        }
    }
    printf("%-32s %8.3f %8.3f\n", name, sqrt(dm / nm), sqrt(ds / ns));
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 300;
    if (argc > 2 || rounds < 6) return fprintf(stderr, "usage: reward [ROUNDS, at least 6]\n"), 2;
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    task q = { .y = { 1.0, -.4, .2, .8 } };
    fd_real *x = fd_raw(&a, fd_real, DRAWS * N), *picture = fd_new(&a, fd_real, 4 * H * W), sd[N];
    double A[S], s[S], keep = 0, sum[3] = { 0 };
    q.s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    q.c = fd_cov_matern(&a, &q.s, 1, .3, 1.5);
    q.p = fd_vp(q.c, .1, 20);
    q.p.tmin = 1e-3;
    q.old = fd_oracle_gauss(&a, &q.p, NULL, q.c);
    q.pre = fd_precond_new(&a, &q.p, NULL, q.c);
    q.o = fd_obs_points(&a, &q.s, M, (double[]){ .12, .35, .5, .9 }, NULL);
    fd_obs_noise(&a, &q.o, NOISE);
    fd_times(&q.p, FD_LOGSNR, 0, S, q.t, &st);
    fd_posterior *exact = fd_posterior_new(&a, NULL, q.c, &q.o, q.y);
    fd_posterior_std(exact, sd, a);
    for (int k = 0; k < S && !st.code; k++) {
        fd_row row = step_of(&q, k, &st);
        fd_coef f = fd_law(&q.p, q.t[k], 0);
        A[k] = row.ax + row.aD * f.m / (f.m * f.m + f.v), s[k] = row.sd;
    }
    fd_policy_best(S, A, s, NULL, &keep, &st);
    printf("E r - KL is at most log E exp(r) = %.3f; of the variance, %.1e is in the start, which "
           "stays\n", exact ? exact->evidence + .5 * M * log(2 * acos(-1) * NOISE * NOISE) : NAN,
           keep * keep);
    network(&q, rounds, 5e-3, &a);
    for (int round = 1; round <= rounds && !st.code; round++) {
        climb(&q, round, sum, a);
        if (round % (rounds / 6)) continue;
        for (int i = 0; i < 3; i++) sum[i] /= rounds / 6;
        printf("round %4d   E r %8.3f   KL %6.3f   E r - KL %8.3f   |D - D_old|_C %.3f\n", round,
               sum[0], sum[1], sum[0] - sum[1], sum[2]);
        memset(sum, 0, sizeof sum);
    }
    fd_sampler how = { .p = &q.p, .model = q.old, .t = q.t, .steps = S,
                       .scheme = FD_ANCESTRAL_OPTIMAL };
    static const char *const name[4] = { "before", "REINFORCE", "reward-weighted regression",
                                         "Matheron's rule: exact" };
    for (int i = 0; i < 4 && !st.code; i++) {
        if (i == 2) network(&q, FIT, 5e-3, &a), regress(&q, a);
        if (i) how.model = q.avg;
        if (i < 3) fd_sample(&how, fd_seed(5), 0, DRAWS, x, a);
        else fd_posterior_draw(exact, fd_seed(1), 0, DRAWS, x, a);
        if (i == 0) printf("\n%-32s %8s %8s\n", "error of", "mean", "sd");
        look(name[i], x, exact, sd, picture + i * H * W);
    }
    mkdir("out", 0777);
    fd_png_sheet(&st, "out/reward.png", 1, 4, H, W, picture, 0, 1.2, FD_VIRIDIS, 2, a);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "reward: %s\n", why), 1;
    printf("wrote out/reward.png\n");
    return 0;
}
