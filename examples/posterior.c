/* posterior.c -- what is an unknown function, given a few noisy values of it? Five methods beside
 * the exact answer.
 *
 * Prior: a Gaussian random function on [0,1] with Matern covariance. Observed: four values with
 * deviation .1. Each method draws functions given them; printed are the relative errors of their
 * mean and of their pointwise deviation against the exact posterior. What chance does with so many
 * draws is about .03. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, M = 4, B = 400, STEPS = 100 };
static char mem[64 << 20];

static void judge(const char *name, const fd_real *x, const fd_posterior *exact, const fd_real *sd)
{
    double dm = 0, ds = 0, nm = 0, ns = 0;
    for (int i = 0; i < N; i++) {
        double m = 0, v = 0;
        for (int b = 0; b < B; b++) m += (double)x[b * N + i] / B;
        for (int b = 0; b < B; b++) v += pow((double)x[b * N + i] - m, 2) / (B - 1);
        dm += pow(m - (double)exact->mean[i], 2), nm += pow((double)exact->mean[i], 2);
        ds += pow(sqrt(v) - (double)sd[i], 2), ns += pow((double)sd[i], 2);
    }
    printf("%-32s %8.3f %8.3f\n", name, sqrt(dm / nm), sqrt(ds / ns));
}

int main(void)
{
    fd_status  st;
    fd_arena   a     = fd_arena_over(mem, sizeof mem, &st);
    fd_space   s     = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov    *prior = fd_cov_matern(&a, &s, 1.0, 0.3, 1.5);
    fd_process p     = fd_vp(prior, 0.1, 20.0);
    fd_model   model = fd_oracle_gauss(&a, &p, NULL, prior);    /* or fd_net_model(&a, net, FD_V) */
    fd_obs     o     = fd_obs_points(&a, &s, M, (double[]){ .12, .35, .5, .9 }, NULL);
    double     y[M]  = { 1.0, -.4, .2, .8 }, t[STEPS + 1];
    fd_real   *x     = fd_raw(&a, fd_real, B * N), *sd = fd_raw(&a, fd_real, N);
    fd_obs_noise(&a, &o, 0.1);
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_sampler how = { .p = &p, .model = model, .t = t, .steps = STEPS,
                       .scheme = FD_ANCESTRAL, .denoise = 1 };

    fd_posterior *exact = fd_posterior_new(&a, NULL, prior, &o, y);
    fd_posterior_std(exact, sd, a);
    printf("log p(y) = %.4f\n%-32s %8s %8s\n", exact ? exact->evidence : NAN, "method",
           "mean", "sd");
    fd_posterior_draw(exact, fd_seed(1), 0, B, x, a);                 /* 1: Matheron's rule */
    judge("Matheron's rule", x, exact, sd);

    how.model = fd_oracle_posterior(&a, &p, 1, NULL, NULL, (const fd_cov *[]){ prior }, &o, y);
    fd_sample(&how, fd_seed(2), 0, B, x, a);                  /* 2: the exact conditional score */
    judge("exact conditional score", x, exact, sd);

    fd_guide guide = { .p = &p, .model = model, .o = &o, .y = y, .rule = FD_GUIDE_PIGDM };
    how.model = fd_guided(&a, &guide);                                /* 3: any model, guided */
    fd_sample(&how, fd_seed(3), 0, B, x, a);
    judge("Pi-GDM guidance", x, exact, sd);

    guide.rule = FD_GUIDE_DPS, guide.zeta = .1;
    how.model = fd_guided(&a, &guide);                                /* 4: the popular shortcut */
    fd_sample(&how, fd_seed(4), 0, B, x, a);
    judge("DPS guidance, zeta .1", x, exact, sd);

    fd_mcmc chain = { .prior = prior, .phi = fd_obs_potential(&a, &o, y), .kind = FD_MCMC_PCN,
                      .h = .2, .adapt = 2000 };
    fd_chain *c = fd_chain_begin(&a, &chain, fd_seed(5), 0, NULL);
    for (int k = -2000; k < 100 * B; k++) {                           /* 5: a Markov chain */
        fd_chain_step(c, a);
        if (k >= 0 && k % 100 == 0) fd_chain_get(c, x + k / 100 * N);
    }
    judge("pCN chain", x, exact, sd);

    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "posterior: %s\n", why), 1;
    return 0;
}
