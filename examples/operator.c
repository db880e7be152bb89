/* operator.c -- how is a forward operator of my own used? Two functions: F, and the transpose of
 * its derivative.
 *
 * Water flows through ground of conductivity exp(u(x)), 0 < x < 1: -(exp(u) p')' = 1, p(0) = 0 and
 * no flow through x = 1. The pressure p is seen at eight places with noise; the Gaussian function u
 * is sought:
 *     p(x) = int_0^x (1 - s) exp(-u) ds, with the derivative -int_0^x (1 - s) exp(-u) h ds along h.
 * A chain is exact in the end; the ensemble, which needs no derivative, is judged by it. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, M = 8, GAP = N / M, B = 400, KEEP = 100, LONG = B * KEEP };
static char mem[64 << 20];

/* rise -- of the pressure in cell j; place i is where cell GAP i + GAP/2 begins. */
static double rise(const fd_real *u, int j) { return (1 - (j + .5) / N) * exp(-(double)u[j]) / N; }

static void apply(const void *f, const fd_space *s, int b, const fd_real *u, double *y, fd_arena a)
{
    (void)f, (void)s, (void)a;
    for (int k = 0; k < b; k++, u += N, y += M) {
        double p = 0;
        for (int j = 0; j < N; p += rise(u, j++))
            if (j % GAP == GAP / 2) y[j / GAP] = p;
    }
}

/* transpose -- g = (dy/du)^T v. */
static void transpose(const void *f, const fd_space *s, int b, const fd_real *u, const double *v,
                      fd_real *g, fd_arena a)
{
    (void)f, (void)s, (void)a;
    for (int k = 0; k < b; k++, u += N, g += N, v += M) {
        double beyond = 0;                             /* sum of v over the places behind cell j */
        for (int j = N - 1; j >= 0; j--) {
            g[j] = (fd_real)(-beyond * rise(u, j));
            if (j % GAP == GAP / 2) beyond += v[j / GAP];
        }
    }
}

int main(void)
{
    fd_status st;
    fd_arena  a = fd_arena_over(mem, sizeof mem, &st);
    fd_space  s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov   *prior = fd_cov_matern(&a, &s, 1.0, 0.3, 1.5);
    fd_obs    o = { .s = s, .m = M, .apply = apply, .transpose = transpose };
    fd_real  *x = fd_raw(&a, fd_real, 2 * B * N), truth[N];             /* chain, ensemble */
    double    y[M], *phi = fd_raw(&a, double, LONG);
    fd_obs_noise(&a, &o, 2e-2);
    fd_cov_draw(prior, fd_seed(7), 0, 1, truth, a);
    fd_obs_draw(&o, fd_seed(8), 0, 1, truth, y, a);
    printf("transpose and differences apart by %.1e\n", fd_obs_check(&o, truth, fd_seed(9), a));
    fd_mcmc   how = { .prior = prior, .phi = fd_obs_potential(&a, &o, y), .kind = FD_MCMC_HMC,
                      .leaps = 4, .h = .1, .adapt = 2000 };
    fd_chain *run = fd_chain_begin(&a, &how, fd_seed(1), 0, NULL);
    for (int k = -how.adapt; k < LONG && run; k++) {
        fd_chain_step(run, a);
        if (k >= 0) phi[k] = run->phi;
        if (k >= 0 && k % KEEP == 0) fd_chain_get(run, x + k / KEEP * N);
    }
    fd_cov_draw(prior, fd_seed(2), 0, B, x + B * N, a);
    for (uint32_t k = 0; k < 4; k++)
        fd_esmda(&o, y, 4, fd_stream(fd_seed(3), 'e', k), B, x + B * N, a);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "operator: %s\n", why), 1;
    printf("inf-HMC: %.0f effective draws of the misfit\n", fd_ess(1, LONG, phi, a));
    puts("       x   truth             chain            ES-MDA");
    for (int j = GAP / 2; j < N; j += GAP) {
        double m[2] = { 0 }, v[2] = { 0 };
        for (int i = 0; i < 2 * B; i++) m[i / B] += (double)x[i * N + j] / B;
        for (int i = 0; i < 2 * B; i++) v[i / B] += pow((double)x[i * N + j] - m[i / B], 2) / B;
        printf("%8.3f%8.2f%9.2f +- %.2f%9.2f +- %.2f\n", fd_coord(&s, 0, j), (double)truth[j], m[0],
               sqrt(v[0]), m[1], sqrt(v[1]));
    }
    return 0;
}
