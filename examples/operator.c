/* operator.c -- how is a forward operator of my own used? Two functions: F, and the transpose of
 * its derivative.
 *
 * Water flows through ground of conductivity exp(u(x)), 0 < x < 1: -(exp(u) p')' = 1, p(0) = p(1) =
 * 0. Observed is the pressure p at eight places, sought is u, a Gaussian function before. In one
 * dimension
 *
 *     p(x) = int_0^x (c - s) exp(-u(s)) ds,    c = int_0^1 s exp(-u) ds / int_0^1 exp(-u) ds,
 *
 * and with E(x) = int_0^x exp(-u) the derivative in the direction h is
 *
 *     int_0^1 (c - s) exp(-u) h (E(x)/E(1) - [s < x]) ds.
 *
 * The library does the rest: the chains are exact in the end, the others are judged by them. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, M = 8, B = 400, STEPS = 100, CHAINS = 4, LONG = 20000, KEEP = LONG * CHAINS / B };
static char mem[128 << 20];

/* cells before the observed place i */
static int before(int i) { return (int)ceil((i + .5) / M * N - .5); }

/* flow -- (c - s) exp(-u) ds in each cell, and E before each cell and at the end. */
static void flow(const fd_real *u, double w[N], double E[N + 1])
{
    double c = 0;
    E[0] = 0;
    for (int j = 0; j < N; j++) {
        w[j] = exp(-(double)u[j]) / N;
        E[j + 1] = E[j] + w[j];
        c += (j + .5) / N * w[j];
    }
    for (int j = 0; j < N; j++) w[j] *= c / E[N] - (j + .5) / N;
}

static void apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                  fd_arena scratch)
{
    double w[N], E[N + 1];
    (void)self, (void)s, (void)scratch;
    for (int k = 0; k < b; k++) {
        flow(x + k * N, w, E);
        for (int i = 0; i < M; i++) {
            y[k * M + i] = 0;
            for (int j = 0; j < before(i); j++) y[k * M + i] += w[j];
        }
    }
}

static void transpose(const void *self, const fd_space *s, int b, const fd_real *x, const double *v,
                      fd_real *g, fd_arena scratch)
{
    double w[N], E[N + 1];
    (void)self, (void)s, (void)scratch;
    for (int k = 0; k < b; k++) {
        flow(x + k * N, w, E);
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int i = 0; i < M; i++)
                sum += v[k * M + i] * (E[before(i)] / E[N] - (j < before(i)));
            g[k * N + j] = (fd_real)(w[j] * sum);
        }
    }
}

/* judge -- how far mean and deviation of B functions are from those of the chains, [2][N], which come first. */
static void judge(const char *name, const fd_obs *o, const double *y, const fd_real *x, fd_arena a)
{
    static double chain[2][N], size[2];
    double d[2] = { 0, 0 }, fit = 0;
    int first = size[0] == 0;
    for (int j = 0; j < N; j++) {
        double m[2] = { 0, 0 };
        for (int k = 0; k < B; k++) m[0] += (double)x[k * N + j] / B;
        for (int k = 0; k < B; k++) m[1] += pow((double)x[k * N + j] - m[0], 2) / (B - 1);
        m[1] = sqrt(m[1]);
        for (int i = 0; i < 2; i++) {
            if (first) chain[i][j] = m[i], size[i] += m[i] * m[i];
            d[i] += pow(m[i] - chain[i][j], 2);
        }
    }
    for (int k = 0; k < B; k++) fit += 2 * fd_obs_misfit(o, y, x + k * N, NULL, a) / M / B;
    printf("%-24s %8.3f %8.3f %8.2f\n", name, sqrt(d[0] / size[0]), sqrt(d[1] / size[1]),
           sqrt(fit));
}

int main(void)
{
    fd_status  st;
    fd_arena   a     = fd_arena_over(mem, sizeof mem, &st);
    fd_space   s     = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov    *prior = fd_cov_matern(&a, &s, 1.0, 0.3, 1.5);
    fd_process p     = fd_vp(prior, 0.1, 20.0);
    fd_obs     o     = { .s = s, .m = M, .linear = 0, .apply = apply, .transpose = transpose };
    fd_real   *x     = fd_raw(&a, fd_real, B * N), *truth = fd_raw(&a, fd_real, N);
    double     y[M], t[STEPS + 1], *phi = fd_raw(&a, double, CHAINS * LONG);
    fd_obs_noise(&a, &o, 1e-2);
    fd_cov_draw(prior, fd_seed(7), 0, 1, truth, a);
    fd_obs_draw(&o, fd_seed(8), 0, 1, truth, y, a);
    printf("transpose and differences apart by %.1e\n%-24s %8s %8s %8s\n",
           fd_obs_check(&o, truth, fd_seed(9), a), "method", "mean", "sd", "misfit");

    fd_mcmc how = { .prior = prior, .phi = fd_obs_potential(&a, &o, y), .kind = FD_MCMC_HMC,
                    .leaps = 4, .h = .1, .adapt = 2000 };
    for (int c = 0; c < CHAINS; c++) {                              /* 1: exact in the end */
        fd_arena own = a;
        fd_chain *run = fd_chain_begin(&own, &how, fd_seed(1), c, NULL);
        for (int k = -how.adapt; k < LONG && run; k++) {
            fd_chain_step(run, own);
            if (k >= 0) phi[c * LONG + k] = run->phi;
            if (k >= 0 && k % KEEP == 0) fd_chain_get(run, x + (c * B / CHAINS + k / KEEP) * N);
        }
    }
    judge("inf-HMC, 4 chains", &o, y, x, a);

    fd_cov_draw(prior, fd_seed(2), 0, B, x, a);                     /* 2: no derivative */
    for (int k = 0; k < 4; k++)
        fd_esmda(&o, y, 4, fd_stream(fd_seed(3), 'e', (uint32_t)k), B, x, a);
    judge("ES-MDA, 4 steps", &o, y, x, a);

    fd_guide guide = { .p = &p, .model = fd_oracle_gauss(&a, &p, NULL, prior), .o = &o, .y = y,
                       .rule = FD_GUIDE_PIGDM };                    /* 3: any model with vjp */
    fd_sampler sampler = { .p = &p, .model = fd_guided(&a, &guide), .t = t, .steps = STEPS,
                           .scheme = FD_ANCESTRAL, .denoise = 1 };
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_sample(&sampler, fd_seed(4), 0, B, x, a);
    judge("Pi-GDM, 100 steps", &o, y, x, a);

    printf("R-hat of the chains' misfit %.4f, effective samples %.0f\n",
           fd_rhat(CHAINS, LONG, phi, a), fd_ess(CHAINS, LONG, phi, a));
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "operator: %s\n", why), 1;
    return 0;
}
