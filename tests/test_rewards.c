/* test_rewards.c -- policies and rewards against closed forms. Chains of Gaussian steps and linear
 * or quadratic rewards have exact gradients, tilts and optima. */
#include "test.h"

/* ---- Log ratios, weights --------------------------------------------------------------------- */

static double matern3(const double *x, const double *y, const void *prm)
{
    double r = sqrt(3) * fabs(x[0] - y[0]) / .3;
    (void)prm;
    return (1 + r) * exp(-r);
}

/* |h|_C has a limit for a function of the space, and grows for a jump */
static void norms(fd_status *st)
{
    double ratio[1], norm[1];
    static const double soft[3] = { .11505029, .11441041, .11437123 };
    static const double hard[3] = { .2614, 15.03, 957.5 };
    for (int g = 0; g < 3 - 2 * (sizeof(fd_real) == 4); g++) {
        int n = (int[]){ 16, 64, 256 }[g];
        fd_arena own = test_arena((size_t)8 << 20, st);
        fd_space fine = fd_grid(&own, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
        fd_cov *K = fd_cov_kernel(&own, &fine, matern3, NULL);
        fd_real *h = fd_raw(&own, fd_real, n), *zero = fd_new(&own, fd_real, n);
        for (int jump = 0; jump < 2 && zero; jump++) {
            for (int i = 0; i < n; i++)
                h[i] = (fd_real)(jump ? .1 * (i >= n / 2) : sin(2 * acos(-1) * (i + .5) / n));
            if (!jump) fd_cov_pow(K, 1, 1, h, h, own);
            fd_policy_ratio(K, 1, 1, h, zero, zero, ratio, norm, own);
            NEAR(norm[0] * norm[0], jump ? hard[g] : soft[g],
                 (jump ? 5e-4 : TOL(1e-7, 1e-5)) * (jump ? hard[g] : 1),
                 "|h|_C of a %s on %d points", jump ? "jump" : "smooth function", n);
        }
    }
}

/* the weights of a step and of a reward; they leave r and the advantages, of a bound 1.5 */
static void policy_weights(double r[5], double adv[5], fd_status *st)
{
    double w[5];
    NEAR(fd_policy_weight(FD_POLICY_PLAIN, .3, -2, .1), -2, 0,
         "REINFORCE's weight is the advantage");
    NEAR(fd_policy_weight(FD_POLICY_RATIO, .3, -2, .1), -2 * exp(.3), 1e-14,
         "that of DDPO has the ratio");
    NEAR(fd_policy_weight(FD_POLICY_CLIPPED, .3, 2, .1), 0, 0, "clipped: no slope beyond 1 + clip");
    NEAR(fd_policy_weight(FD_POLICY_CLIPPED, .3, -2, .1), -2 * exp(.3), 1e-14,
         "but back from there");
    NEAR(fd_policy_weight(FD_POLICY_CLIPPED, -.3, -2, .1), 0, 0, "nor below 1 - clip");
    NEAR(fd_policy_weight(FD_POLICY_CLIPPED, -.3, 2, .1), 2 * exp(-.3), 1e-14,
         "but back from there");
    fd_advantages(5, r, 0, adv, st);
    NEAR(adv[0] + adv[1] + adv[2] + adv[3] + adv[4], 0, 1e-12, "advantages have the mean 0");
    NEAR(adv[4] * adv[4] + adv[0] * adv[0] + adv[1] * adv[1] + adv[2] * adv[2] + adv[3] * adv[3], 5,
         1e-6, "and the variance 1");
    fd_advantages(5, r, 1.5, adv, st);
    NEAR(adv[4], 1.5, 0, "and a bound");
    fd_reward_weights(5, r, 10, w, st);
    NEAR(w[4], 1, 1e-12, "weights of regression do not overflow");
    fd_reward_weights(4, r, .5, w, st);
    NEAR(w[1] / w[0], exp(.5), 1e-12, "and are exp(beta r)");
    NEAR(w[0] + w[1] + w[2] + w[3], 1, 1e-14, "over their sum");
}

enum { POINTS = 12 };
typedef struct {                          /* two steps from mu, or old, to next; noise c */
    fd_space s;
    fd_cov *c;
    fd_real mu[2 * POINTS], old[2 * POINTS], next[2 * POINTS];
} two_steps;

static void two_steps_new(two_steps *w, fd_arena *a)
{
    w->s = fd_grid(a, 1, (int[]){ POINTS }, NULL, (int[]){ FD_NEUMANN }, 1);
    w->c = fd_cov_matern(a, &w->s, 1, .3, 1);
    for (int i = 0; i < 2 * POINTS; i++) {
        w->mu[i] = (fd_real)sin(i), w->old[i] = (fd_real)cos(.5 * i);
        w->next[i] = (fd_real)(.3 * i / POINTS);
    }
}

/* the ratio of two Gaussian densities, mode by mode */
static void ratio_sums(const two_steps *w, fd_arena a)
{
    double ratio[2], norm[2];
    fd_real u[3][POINTS];
    fd_policy_ratio(w->c, .7, 2, w->mu, w->old, w->next, ratio, norm, a);
    for (int b = 0; b < 2; b++) {
        const fd_real *from[3] = { w->mu, w->old, w->next };
        double want = 0, size = 0;
        for (int i = 0; i < 3; i++) fd_to_modes(&w->s, 1, from[i] + b * POINTS, u[i], a);
        for (int k = 0; k < POINTS; k++) {
            double v = .49 * w->c->lam[k], n = (double)u[2][k];
            want += (pow(n - (double)u[1][k], 2) - pow(n - (double)u[0][k], 2)) / (2 * v);
            size += pow((double)u[0][k] - (double)u[1][k], 2) / w->c->lam[k];
        }
        NEAR(ratio[b], want, TOL(1e-11, 2e-4) * fabs(want), "log ratio of two policies, step %d",
             b);
        NEAR(norm[b], sqrt(size), TOL(1e-11, 2e-4) * sqrt(size), "and how far they are apart");
    }
}

/* the pull is the gradient of log p in mu */
static void ratio_slope(const two_steps *w, fd_arena a)
{
    const double eps = TOL(1e-3, 3e-2);
    double more[2], less[2];
    fd_real y[2 * POINTS], u[POINTS];
    fd_policy_pull(w->c, .7, 0, 2, w->mu, w->next, y, a);
    for (int k = 0; k < 2; k++) {
        fd_real to[2 * POINTS];
        for (int i = 0; i < 2 * POINTS; i++)
            to[i] = w->mu[i] + (fd_real)((k ? -eps : eps) * cos(i));
        fd_policy_ratio(w->c, .7, 2, to, w->mu, w->next, k ? less : more, NULL, a);
    }
    for (int b = 0; b < 2; b++) {
        fd_real way[POINTS];
        for (int i = 0; i < POINTS; i++) way[i] = (fd_real)cos(b * POINTS + i);
        double slope = fd_inner(&w->s, y + b * POINTS, way);
        NEAR((more[b] - less[b]) / (2 * eps), slope, TOL(1e-8, 5e-3) * (1 + fabs(slope)),
             "the pull is the gradient of log p");
    }
    for (int i = 0; i < POINTS; i++) y[i] = w->next[i] - w->mu[i];
    fd_policy_pull(w->c, 1, 1, 1, w->mu, w->next, u, a);
    NEAR(test_maxdiff(POINTS, u, y), 0, TOL(1e-14, 1e-6), "with C in front it is x' - mu");
}

static void ratio_wrong(two_steps *w, fd_arena a)
{
    fd_real *const mu = w->mu, *const old = w->old, *const next = w->next;
    double ratio[2] = { 7, 7 }, norm[2] = { 7, 7 };
    for (int i = 0; i < 2; i++)                                  /* no density */
        SAYS(fd_policy_ratio(w->c, i ? INFINITY : 0, 1, mu, old, next, ratio, norm, a), FD_EARG,
             "fd_policy_ratio: ");
    SAYS(fd_policy_pull(w->c, INFINITY, 0, 1, mu, next, mu, a), FD_EARG, "fd_policy_pull: ");
    fd_policy_ratio(NULL, 1, 1, mu, old, next, ratio, norm, a);
    fd_policy_pull(NULL, 1, 0, 1, mu, next, mu, a);
    OK(!a.st->code && ratio[0] == 7 && norm[0] == 7 && mu[1] == (fd_real)sin(1),
       "of no noise nothing is said");
}

static void advantages(fd_status *st)
{
    double r[5] = { 1, 2, 3, 4, 100 }, adv[5];
    policy_weights(r, adv, st);
    OK(!st->code, "no error");
    r[2] = INFINITY;
    fd_advantages(5, r, 0, adv, st);
    OK(st->code == FD_EDATA && adv[4] == 1.5, "a reward that is not finite: nothing is written");
    st->code = FD_OK;
    fd_advantages(0, r, 0, adv, st);
    OK(st->code == FD_EARG, "of no rewards");
    st->code = FD_OK;
}

static void ratios(void)
{
    two_steps w;
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    two_steps_new(&w, &a);
    ratio_sums(&w, a);
    ratio_slope(&w, a);
    norms(&st);
    advantages(&st);
    ratio_wrong(&w, a);
    test_free();
}

/* The slope of DDPO's clipped loss max(-A rho, -A clip(rho, 1 - e, 1 + e)) in log rho. */
static double clipped(double ratio, double A, double e)
{
    double rho = exp(ratio);
    return fmax(-A * rho, -A * fmin(fmax(rho, 1 - e), 1 + e));
}

static void losses(void)
{
    static const double e = .2, at[4] = { -.3, -.1, .15, .25 };
    NEAR(clipped(log(1.5), 2, e), -2.4, 1e-14, "A > 0, rho = 1.5: the loss stays at -A 1.2");
    NEAR(clipped(log(.5), 2, e), -1, 1e-14, "rho = .5: it is -A rho");
    NEAR(clipped(log(1.5), -2, e), 3, 1e-14, "A < 0, rho = 1.5: -A rho");
    NEAR(clipped(log(.5), -2, e), 1.6, 1e-14, "rho = .5: it stays at -A .8");
    for (int i = 0; i < 4; i++)
        for (int A = -3; A < 4; A += 2) {
            const double h = 1e-5;
            double slope = (clipped(at[i] + h, A, e) - clipped(at[i] - h, A, e)) / (2 * h);
            NEAR(fd_policy_weight(FD_POLICY_CLIPPED, at[i], A, e), -slope, 1e-8,
                 "the clipped weight is the slope of the loss: log rho %g, A %d", at[i], A);
        }
}

/* ---- The linear chain ------------------------------------------------------------------------ */

/* x' = a_k x + b_k C^1/2 theta + s_k xi, x_0 = x after the last step, reward 2 + <l, x_0>: all
 * of its means are known. */
enum { N = 8, K = 4, BATCH = 2000, ROUNDS = 100 };
static const double chain_a[K] = { .9, .8, 1.1, .7 }, chain_b[K] = { .5, -.3, .8, .4 },
                    chain_s[K] = { .6, .5, .7, .4 };

typedef struct { double sum[N], sq[N]; int n; } tally;

static void tally_add(tally *q, int n, const double *v)
{
    q->n++;
    for (int i = 0; i < n; i++) q->sum[i] += v[i], q->sq[i] += v[i] * v[i];
}

/* deviations of the mean from want, in units of its own */
static double tally_z(const tally *q, int i, double want)
{
    double m = q->sum[i] / q->n, v = q->sq[i] / q->n - m * m;
    return (m - want) / sqrt(v / q->n);
}

static tally plain, whole, each, weights, moved, logs;

/* A path: its gradient, that at the other policy, its reward, of the mean mean, and weight. */
static void chain_add(const double *grad, const double *step, double r, double logw, double mean)
{
    double v[N], w = exp(logw);
    for (int j = 0; j < N; j++) v[j] = grad[j] * r;
    tally_add(&whole, N, v);
    for (int j = 0; j < N; j++) v[j] = grad[j] * (r - mean);
    tally_add(&plain, N, v);
    for (int j = 0; j < N; j++) v[j] = step[j] * r;
    tally_add(&each, N, v);
    tally_add(&weights, 1, &w);
    v[0] = w * r, tally_add(&moved, 1, v);
    v[0] = -logw, tally_add(&logs, 1, v);
}

/* What the sums must be: the gradient in theta, weights, and the divergence of the two policies. */
static void chain_sums(double share, const fd_real *want, const double mean[2], double kl)
{
    for (int j = 0; j < N; j++) {
        double g = share * (double)want[j];
        OK(fabs(tally_z(&whole, j, g)) < 4.5, "REINFORCE's gradient, %d: z = %g", j,
           tally_z(&whole, j, g));
        OK(fabs(tally_z(&plain, j, g)) < 4.5, "with a baseline, %d: z = %g", j,
           tally_z(&plain, j, g));
        OK(fabs(tally_z(&each, j, g)) < 4.5, "DDPO's at another policy, %d: z = %g", j,
           tally_z(&each, j, g));
        OK(plain.sq[j] < whole.sq[j], "the baseline has less variance, %d", j);
    }
    OK(fabs(tally_z(&weights, 0, 1)) < 4.5, "E w = 1: z = %g", tally_z(&weights, 0, 1));
    NEAR(weights.sum[0] / weights.n, 1, .02, "E w");
    OK(fabs(tally_z(&moved, 0, mean[1])) < 4.5, "E w r is the mean under the other policy: z = %g",
       tally_z(&moved, 0, mean[1]));
    OK(fabs(mean[1] - mean[0]) > .05, "which is another one");
    OK(fabs(tally_z(&logs, 0, kl)) < 4.5, "-E log w is the KL along the chain: z = %g",
       tally_z(&logs, 0, kl));
    NEAR(logs.sq[0] / logs.n - pow(logs.sum[0] / logs.n, 2), 2 * kl, .05 * kl,
         "whose variance is twice that");
}

static void chain(void)
{
    static fd_real x[BATCH * N], next[BATCH * N], mu[BATCH * N], to[BATCH * N], xi[BATCH * N],
        y[BATCH * N];
    static double ratio[BATCH], norm[BATCH], logw[BATCH], grad[BATCH * N], step[BATCH * N],
        rho[K * BATCH];
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_real theta[N], other[N], move[2][N], l[N], want[N];
    double share = 0, pi = 1, kl = 0, mean[2] = { 0, 0 };
    for (int i = 0; i < N; i++) {
        theta[i] = (fd_real)(.3 * cos(i));
        other[i] = (fd_real)(.3 * cos(i) + .3 + .1 * sin(2 * i + 1));
        l[i] = (fd_real)(1 + .5 * i - .1 * i * i);
    }
    fd_cov_pow(c, .5, 1, theta, move[0], a), fd_cov_pow(c, .5, 1, other, move[1], a);
    fd_cov_pow(c, .5, 1, l, want, a);
    for (int k = K - 1; k >= 0; k--) share += chain_b[k] * pi, pi *= chain_a[k];
    for (int w = 0; w < 2; w++) mean[w] = 2 + share * fd_inner(&s, l, move[w]);
    for (int k = 0; k < K; k++) {                     /* |b_k C^1/2 (other - theta)|_C^2/(2 s^2) */
        fd_real d[N];
        for (int i = 0; i < N; i++) d[i] = other[i] - theta[i];
        kl += pow(chain_b[k] / chain_s[k], 2) / 2 * fd_inner(&s, d, d);
    }
    for (int round = 0; round < ROUNDS; round++) {
        fd_rng seed = fd_stream(fd_seed(7), 'r', (uint32_t)round);
        fd_cov_draw(c, fd_stream(seed, 'x', 0), 0, BATCH, x, a);
        memset(grad, 0, sizeof grad), memset(step, 0, sizeof step), memset(logw, 0, sizeof logw);
        for (int k = 0; k < K; k++) {
            fd_cov_draw(c, fd_stream(seed, 's', (uint32_t)k), 0, BATCH, xi, a);
            for (int i = 0; i < BATCH * N; i++) {
                double lin = chain_a[k] * (double)x[i];
                mu[i] = (fd_real)(lin + chain_b[k] * (double)move[0][i % N]);
                to[i] = (fd_real)(lin + chain_b[k] * (double)move[1][i % N]);
                next[i] = (fd_real)((double)mu[i] + chain_s[k] * (double)xi[i]);
            }
            fd_policy_ratio(c, chain_s[k], BATCH, to, mu, next, ratio, norm, a);
            fd_policy_pull(c, chain_s[k], .5, BATCH, mu, next, y, a);
            for (int i = 0; i < BATCH * N; i++) grad[i] += chain_b[k] * (double)y[i];
            fd_policy_pull(c, chain_s[k], .5, BATCH, to, next, y, a);
            for (int i = 0; i < BATCH; i++) {
                logw[i] += ratio[i];
                rho[k * BATCH + i] = fd_policy_weight(FD_POLICY_RATIO, ratio[i], 1, 0);
                for (int j = i * N; j < (i + 1) * N; j++)
                    step[j] += rho[k * BATCH + i] * chain_b[k] * (double)y[j];
            }
            memcpy(x, next, sizeof x);
        }
        for (int i = 0; i < BATCH; i++)
            chain_add(grad + i * N, step + i * N, 2 + fd_inner(&s, l, x + i * N), logw[i], mean[0]);
    }
    chain_sums(share, want, mean, kl);
    OK(!st.code, "no error");
    test_free();
}

/* ---- Tilts ----------------------------------------------------------------------------------- */

/* Mean and variance at a point of weighted draws, with the deviation of the mean. */
static void weighted(int n, int at, const fd_real *x, const double *w, double *mean, double *var,
                     double *sd)
{
    double m = 0, v = 0, e = 0;
    for (int i = 0; i < n; i++) m += w[i] * (double)x[i * N + at];
    for (int i = 0; i < n; i++) {
        double d = (double)x[i * N + at] - m;
        v += w[i] * d * d, e += w[i] * w[i] * d * d;
    }
    *mean = m, *var = v, *sd = sqrt(e);
}

static void tilts(void)
{
    enum { M = 60000, ROUND = 4 };
    fd_status st;
    fd_arena a = test_arena(1 << 26, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_real *x = fd_raw(&a, fd_real, M * N), m[N], l[N], Cl[N], sd0[N];
    double *r = fd_raw(&a, double, M), *w = fd_raw(&a, double, M), mean, var, sd, spread[N];
    const double beta = .7, at[2] = { .2, .65 }, y[2] = { 1, -.5 }, noise = .6;
    for (int i = 0; i < N; i++) {
        m[i] = (fd_real)sin(i);
        l[i] = (fd_real)(i == 2 ? 4 : i == 5 ? -3 : 0);
    }
    fd_cov_pow(c, 1, 1, l, Cl, a);
    for (int i = 0; i < N; i++) {                     /* C(x, x), by a function that is 1/h there */
        for (int j = 0; j < N; j++) sd0[j] = (fd_real)(i == j ? N : 0);
        fd_cov_pow(c, 1, 1, sd0, sd0, a);
        spread[i] = (double)sd0[i];
    }
    fd_obs o = fd_obs_points(&a, &s, 2, at, NULL);
    fd_obs_noise(&a, &o, noise);
    /* round n + 1 starts from the tilt with n beta, and its weights make that with (n + 1) beta */
    for (int n = 0; n < ROUND; n++) {
        fd_cov_draw(c, fd_stream(fd_seed(3), 'l', (uint32_t)n), 0, M, x, a);
        for (int i = 0; i < M * N; i++)
            x[i] += (fd_real)((double)m[i % N] + n * beta * (double)Cl[i % N]);
        for (int i = 0; i < M; i++) r[i] = fd_inner(&s, l, x + i * N);
        fd_reward_weights(M, r, beta, w, &st);
        for (int i = 0; i < N; i++) {
            double want = (double)m[i] + (n + 1) * beta * (double)Cl[i];
            weighted(M, i, x, w, &mean, &var, &sd);
            OK(fabs(mean - want) < 4.5 * sd, "linear reward, round %d: mean at %d, z = %g", n + 1,
               i, (mean - want) / sd);
            NEAR(var, spread[i], .05 * spread[i], "whose variance stays");
        }
    }
    for (int n = 0; n < ROUND; n++) {
        fd_obs less = o, more = o;
        if (n) fd_obs_noise(&a, &less, noise / sqrt(n * beta));
        fd_obs_noise(&a, &more, noise / sqrt((n + 1) * beta));
        fd_posterior *from = n ? fd_posterior_new(&a, m, c, &less, y) : NULL;
        fd_posterior *to = fd_posterior_new(&a, m, c, &more, y);
        fd_posterior_std(to, sd0, a);
        if (n) fd_posterior_draw(from, fd_stream(fd_seed(4), 'q', (uint32_t)n), 0, M, x, a);
        else {
            fd_cov_draw(c, fd_seed(5), 0, M, x, a);
            for (int i = 0; i < M * N; i++) x[i] += m[i % N];
        }
        for (int i = 0; i < M; i++) r[i] = -fd_obs_misfit(&o, y, x + i * N, NULL, a);
        fd_reward_weights(M, r, beta, w, &st);
        for (int i = 0; i < N && to; i++) {
            weighted(M, i, x, w, &mean, &var, &sd);
            OK(fabs(mean - (double)to->mean[i]) < 4.5 * sd,
               "quadratic reward, round %d: mean at %d, z = %g", n + 1, i,
               (mean - (double)to->mean[i]) / sd);
            NEAR(sqrt(var), (double)sd0[i], .03 * (double)sd0[i], "and the deviation");
        }
    }
    OK(!st.code, "no error");
    test_free();
}

/* ---- The best policy ------------------------------------------------------------------------- */

static void best(void)
{
    enum { STEPS = 5 };
    static const double a[STEPS] = { .8, .8, .8, .8, .8 }, s[STEPS] = { .6, .6, .6, .6, .6 };
    fd_status st;
    double shift[STEPS], keep, mean = 0, cost = 0;
    (void)test_arena(64, &st);
    double sum = fd_policy_best(STEPS, a, s, shift, &keep, &st);
    NEAR(sum + keep * keep, 1, 1e-14, "the variance stays 1: the tilt moves the mean by 1");
    NEAR(sum, .8926258176, 1e-13, "with the start frozen");
    NEAR(keep * keep, .1073741824, 1e-13, "which falls short by what is left of the start");
    for (int k = 0; k < STEPS; k++) {
        mean = a[k] * mean + shift[k];
        cost += shift[k] * shift[k] / (2 * s[k] * s[k]);
    }
    NEAR(mean, sum, 1e-14, "the shifts lead there");
    NEAR(cost, sum / 2, 1e-14, "at half of that in KL");
    NEAR(mean - cost, sum / 2, 1e-14, "so that E r - KL is the other half");
    for (int k = 0; k < STEPS; k++)                    /* and no shift does better: it is concave */
        for (int way = -1; way < 2; way += 2) {
            double m = 0, kl = 0;
            for (int j = 0; j < STEPS; j++) {
                double v = shift[j] + (j == k) * way * .01;
                m = a[j] * m + v, kl += v * v / (2 * s[j] * s[j]);
            }
            OK(m - kl < sum / 2 - 1e-5, "no other shift of step %d is better", k);
        }
    const double more = 1 / (1 - keep * keep);         /* larger shifts reach the tilt's mean */
    NEAR(more * mean, 1, 1e-13, "shifts over 1 - keep^2 reach the mean of the tilt");
    OK(more * more * cost > .5 && more * mean - more * more * cost < sum / 2,
       "for more KL than the tilt's own 1/2, and at a loss");
    fd_policy_best(STEPS, a, (double[]){ 1, 1, -1, 1, 1 }, shift, &keep, &st);
    OK(st.code == FD_EARG, "a step with s < 0");
    st.code = FD_OK;
    OK(isnan(fd_policy_best(0, a, s, NULL, NULL, &st)) && st.code == FD_EARG, "no steps");
    OK(isnan(fd_policy_best(STEPS, a, s, NULL, NULL, &st)), "after a failure");
    st.code = FD_OK;
    OK(isnan(fd_policy_best(1, (double[]){ INFINITY }, s, NULL, NULL, &st)) && st.code == FD_EARG,
       "a factor that is not finite");
    st.code = FD_OK;
    OK(isnan(fd_policy_best(1, a, (double[]){ INFINITY }, NULL, NULL, &st)) && st.code == FD_EARG,
       "an s that is not finite");
    st.code = FD_OK;
    NEAR(fd_policy_best(STEPS, a, s, NULL, NULL, &st),
         fd_policy_best(STEPS, a, s, shift, &keep, &st),
         0, "the same without the shifts");
    test_free();
}

/* What REINFORCE and DDPO learn on that chain: shifts whose E r - KL is known, and comes near the
 * best. Four epochs of DDPO move away from the paths that were drawn. */
static void learned(void)
{
    enum { STEPS = 5, PATHS = 400, TIMES = 250 };
    static fd_real x[STEPS + 1][PATHS], mu[PATHS], to[PATHS], y[PATHS];
    static double r[PATHS], adv[PATHS], ratio[PATHS];
    const double a[STEPS] = { .8, .8, .8, .8, .8 }, s[STEPS] = { .6, .6, .6, .6, .6 };
    fd_status st;
    fd_arena m = test_arena(1 << 20, &st);
    fd_space one = fd_grid(&m, 1, (int[]){ 1 }, NULL, NULL, 1);
    fd_cov *c = fd_cov_table(&m, &one, (double[]){ 1 });
    double best[STEPS], top = fd_policy_best(STEPS, a, s, best, NULL, &st) / 2, J[2];
    for (int ddpo = 0; ddpo < 2; ddpo++) {
        double theta[STEPS] = { 0 }, mean = 0, kl = 0, far = 0;
        for (int round = 0; round < TIMES; round++) {
            const double rate = .3 / (1 + round / 20.);
            const double was[STEPS] = { theta[0], theta[1], theta[2], theta[3], theta[4] };
            fd_rng seed = fd_stream(fd_seed(11 + (uint64_t)ddpo), 'l', (uint32_t)round);
            double sd = 0, middle = 0;
            fd_normal(fd_stream(seed, 'x', 0), PATHS, x[0]);
            for (int k = 0; k < STEPS; k++) {
                fd_normal(fd_stream(seed, 's', (uint32_t)k), PATHS, x[k + 1]);
                for (int i = 0; i < PATHS; i++)
                    x[k + 1][i] = (fd_real)(a[k] * (double)x[k][i] + theta[k]
                                            + s[k] * (double)x[k + 1][i]);
            }
            for (int i = 0; i < PATHS; i++) r[i] = (double)x[STEPS][i], middle += r[i] / PATHS;
            for (int i = 0; i < PATHS; i++) sd += pow(r[i] - middle, 2) / PATHS;
            fd_advantages(PATHS, r, 5, adv, &st);
            for (int epoch = 0; epoch < (ddpo ? 4 : 1); epoch++)
                for (int k = 0; k < STEPS; k++) {
                    double g = -theta[k] / (s[k] * s[k]);              /* of the KL */
                    for (int i = 0; i < PATHS; i++) {
                        mu[i] = (fd_real)(a[k] * (double)x[k][i] + was[k]);
                        to[i] = (fd_real)(a[k] * (double)x[k][i] + theta[k]);
                    }
                    fd_policy_ratio(c, s[k], PATHS, to, mu, x[k + 1], ratio, NULL, m);
                    fd_policy_pull(c, s[k], .5, PATHS, to, x[k + 1], y, m);
                    for (int i = 0; i < PATHS; i++)
                        g += sqrt(sd) * (double)y[i] / PATHS
                             * fd_policy_weight(ddpo ? FD_POLICY_CLIPPED : FD_POLICY_PLAIN,
                                                ratio[i], adv[i], .2);
                    theta[k] += rate / (ddpo ? 4 : 1) * s[k] * s[k] * g;
                }
        }
        for (int k = 0; k < STEPS; k++) {
            mean = a[k] * mean + theta[k];
            kl += theta[k] * theta[k] / (2 * s[k] * s[k]);
            far = fmax(far, fabs(theta[k] - best[k]));
        }
        J[ddpo] = mean - kl;
        OK(J[ddpo] <= top && J[ddpo] > .995 * top, "%s: E r - KL is %g, at most %g",
           ddpo ? "DDPO" : "REINFORCE", J[ddpo], top);
        OK(far < .03, "and the shifts are the best ones: %g off", far);
    }
    OK(!st.code, "no error");
    test_free();
}

/* The same for functions, by the sampler: a Gaussian law by the exact model and FD_ANCESTRAL, whose
 * steps are shifted by C l: mode by mode its mean moves by what fd_policy_best says. */
static void sampler(void)
{
    enum { STEPS = 12, n = 16 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ n }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *data = fd_cov_matern(&a, &s, 1, .3, 2.5), *noise = fd_cov_matern(&a, &s, 1, .2, 1.5);
    fd_process p = fd_vp(noise, .1, 4);
    fd_model m = fd_oracle_gauss(&a, &p, NULL, data);
    double t[STEPS + 1], A[n][STEPS], S[STEPS], shift[n][STEPS], sum[n], keep[n], var[n];
    fd_real x[n], d[n], l[n], u[n];
    p.tmin = .01;
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_sampler how = { .p = &p, .model = m, .t = t, .steps = STEPS, .scheme = FD_ANCESTRAL,
                       .start = FD_START_MATCHED, .cov = data };
    fd_start_law(&how, NULL, var, a);
    for (int k = 0; k < STEPS; k++)
        for (int j = 0; j < n; j++) {
            fd_row row = fd_step_row(&p, FD_ANCESTRAL, 0, t[k], t[k + 1], j, &st);
            fd_coef f = fd_law(&p, t[k], j);
            double c = data->lam[j];
            A[j][k] = row.ax + row.aD * f.m * c / (f.m * f.m * c + f.v * noise->lam[j]);
            S[k] = row.sd;
        }
    double left[n], most = 0;
    memcpy(left, var, sizeof left);
    for (int j = 0; j < n; j++) sum[j] = fd_policy_best(STEPS, A[j], S, shift[j], &keep[j], &st);
    fd_exact_law(&how, NULL, var, a);
    for (int j = 0; j < n; j++) {
        double is = sum[j] * noise->lam[j] + keep[j] * keep[j] * left[j];
        NEAR(is, var[j], TOL(1e-12, 1e-5) * var[0],
             "shifts and start make the variance of mode %d", j);
        most = fmax(most, keep[j] * keep[j] * left[j] / var[j]);
    }
    OK(most > .01 && most < .9, "the start counts: %g", most);
    for (int i = 0; i < n; i++) l[i] = (fd_real)cos(3 * i), x[i] = 0;
    fd_to_modes(&s, 1, l, u, a);
    for (int k = 0; k < STEPS; k++) {
        fd_row row = fd_step_row(&p, FD_ANCESTRAL, 0, t[k], t[k + 1], 0, &st);
        fd_predict(&m, FD_X0, &p, 1, x, &t[k], d, a);
        for (int i = 0; i < n; i++)
            x[i] = (fd_real)(row.ax * (double)x[i] + row.aD * (double)d[i]);
        for (int j = 0; j < n; j++) d[j] = (fd_real)(shift[j][k] * noise->lam[j] * (double)u[j]);
        fd_from_modes(&s, 1, d, d, a);
        for (int i = 0; i < n; i++) x[i] += d[i];
    }
    fd_to_modes(&s, 1, x, x, a);
    for (int j = 0; j < n; j++)
        NEAR((double)x[j], sum[j] * noise->lam[j] * (double)u[j], TOL(1e-12, 1e-5),
             "the sampler with the best shifts, mode %d", j);
    OK(!st.code, "no error");
    test_free();
}

/* ---- Policies made of models ----------------------------------------------------------------- */

typedef struct { double shift; int sharp; } own;
static void own_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y, fd_arena scratch)
{
    const own *o = self;
    (void)scratch;
    for (ptrdiff_t i = 0; i < b * s->points; i++) {
        double u = fd_coord(s, 0, i % s->points);
        y[i] = (fd_real)(.5 * (double)x[i] * t[0] + o->shift * (o->sharp ? u > .5 : cos(6 * u)));
    }
}
static void own_vjp(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                    const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    (void)self, (void)x, (void)scratch;
    for (ptrdiff_t i = 0; i < b * s->points; i++) dx[i] = (fd_real)(.5 * (double)dy[i] * t[0]);
}

enum { POLICY_MOST = 64 };
typedef struct { int n; fd_space s; fd_cov *c; fd_process p; fd_model old, now; } moved_policy;

static void moved_new(moved_policy *w, int n, fd_arena *a)
{
    static const own no = { 0, 0 }, jump = { .1, 1 };
    w->n = n;
    w->s = fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    w->c = fd_cov_matern(a, &w->s, 1, .3, 1);
    w->p = fd_vp(w->c, .1, 20);
    w->old = (fd_model){ FD_X0, own_eval, own_vjp, NULL, &no, NULL };
    w->now = (fd_model){ FD_X0, own_eval, own_vjp, NULL, &jump, NULL };
}

/* the vjp is the transpose of the derivative, which is constant here */
static void policy_vjp(const moved_policy *w, const fd_model *m, const fd_real *x, double power,
                       fd_arena a)
{
    const int n = w->n;
    const double t = .5;
    fd_real v[POLICY_MOST], u[POLICY_MOST], Jv[POLICY_MOST], y[POLICY_MOST], at[POLICY_MOST];
    for (int i = 0; i < n; i++)
        v[i] = (fd_real)cos(i), u[i] = (fd_real)sin(2 * i), y[i] = x[i] + v[i];
    fd_predict(m, FD_X0, &w->p, 1, x, &t, at, a), fd_predict(m, FD_X0, &w->p, 1, y, &t, Jv, a);
    for (int i = 0; i < n; i++) Jv[i] -= at[i];
    m->vjp(m->self, &w->s, 1, x, &t, u, y, a);
    NEAR(fd_inner(&w->s, v, y), fd_inner(&w->s, u, Jv), TOL(1e-12, 1e-5), "vjp, power %g", power);
}

/* size: |D - D_old|_C without the operator in front, and with C^1/2 */
static void policy_sizes(const moved_policy *w, double size[2], fd_arena a)
{
    const int n = w->n;
    const double t = .5;
    fd_real x[POLICY_MOST], d[POLICY_MOST], e[POLICY_MOST], f[POLICY_MOST];
    fd_cov_draw(w->c, fd_seed(1), 0, 1, x, a);
    fd_predict(&w->old, FD_X0, &w->p, 1, x, &t, d, a);
    fd_predict(&w->now, FD_X0, &w->p, 1, x, &t, e, a);
    for (int i = 0; i < n; i++) f[i] = e[i] - d[i];
    const double want = fd_inner(&w->s, f, f) / w->c->lam[0];
    for (int half = 0; half < 2; half++) {
        const fd_model m = fd_policy_model(&a, &w->p, w->old, w->now, .5 * half);
        double ratio, norm;
        fd_predict(&m, FD_X0, &w->p, 1, x, &t, f, a);
        if (!half) NEAR(test_maxdiff(n, e, f), 0, TOL(1e-13, 1e-5), "power 0 is the new model");
        fd_policy_ratio(w->c, 1, 1, f, d, d, &ratio, &norm, a);
        NEAR(ratio, -norm * norm / 2, TOL(1e-10, 1e-4) * norm * norm, "a ratio at the old mean");
        if (half) NEAR(norm * norm, want, TOL(1e-9, 1e-3) * want,
                       "|D - D_old|_C^2 is the square in L2 over lam_max");
        policy_vjp(w, &m, x, .5 * half, a);
        size[half] = norm;
    }
}

/* models of which no policy is made, or none with a vjp */
static void policy_wrong(const moved_policy *w, fd_arena a)
{
    const fd_process *const p = &w->p;
    const fd_model none = { 0 };
    fd_process silent = w->p, bare = { .noise = w->c };
    fd_model rough = w->now, other = w->now;
    silent.noise = NULL, rough.vjp = NULL, other.predicts = FD_NOISE;
    for (int i = 0; i < 2; i++)
        SAYS(fd_policy_model(&a, p, w->old, w->now, i ? INFINITY : -1), FD_EARG,
             "fd_policy_model: ");
    OK(fd_policy_model(&a, p, w->old, w->now, 1).vjp, "a vjp of two");
    OK(!fd_policy_model(&a, p, w->old, rough, 1).vjp
       && !fd_policy_model(&a, p, rough, w->now, 1).vjp, "no vjp where one has none");
    OK(!fd_policy_model(&a, p, w->old, other, 1).vjp
       && !fd_policy_model(&a, p, other, w->now, 1).vjp, "nor where one predicts something else");
    OK(!fd_policy_model(&a, p, w->old, none, 1).eval
       && !fd_policy_model(&a, p, none, w->now, 1).eval
       && !fd_policy_model(&a, &silent, w->old, w->now, 1).eval
       && !fd_policy_model(&a, &bare, w->old, w->now, 1).eval && !a.st->code,
       "no model of nothing");
}

static void policies(void)
{
    double size[3][2];
    for (int g = 0; g < 3; g++) {
        fd_status st;
        fd_arena a = test_arena(1 << 22, &st);
        moved_policy w;
        moved_new(&w, 16 << g, &a);
        policy_sizes(&w, size[g], a);
        OK(!st.code, "no error");
        policy_wrong(&w, a);
        test_free();
    }
    OK(size[1][0] > 1.8 * size[0][0] && size[2][0] > 1.8 * size[1][0],
       "a jump in D: |D|_C grows with the grid: %g %g %g", size[0][0], size[1][0], size[2][0]);
    NEAR(size[2][1], size[0][1], .1 * size[0][1], "through C^1/2 it has a limit");
}

void test_rewards(void)
{
    ratios();
    losses();
    chain();
    tilts();
    best();
    learned();
    sampler();
    policies();
}
