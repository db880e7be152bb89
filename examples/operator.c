/* operator.c -- how is a forward operator of my own used? Two functions: F, and the transpose of
 * its derivative.
 *
 * Water flows through ground of conductivity exp(u(x)), 0 < x < 1: -(exp(u) p')' = 1, p(0) = p(1)
 * = 0. The pressure p is seen at eight places with noise; the Gaussian function u is sought:
 *     p(x) = int_0^x (c - s) exp(-u) ds,  c = int_0^1 s exp(-u) ds / E(1),  E(x) = int_0^x exp(-u),
 * whose derivative in the direction h is int_0^1 (c - s) exp(-u) h (E(x)/E(1) - [s < x]) ds. The
 * chains are exact in the end; the ensemble, which needs no derivative, is judged by them. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, M = 8, B = 400, CHAINS = 4, LONG = 10000, KEEP = LONG * CHAINS / B };
static char mem[64 << 20];

static int cell(int i) { return (2 * i + 1) * N / (2 * M); }        /* which begins at place i */

/* flow -- w = (c - s) exp(-u) ds in each cell; p and E/E(1) at the places. */
static void flow(const fd_real *u, double w[N], double p[M], double e[M])
{
    double all = 0, c = 0, P = 0, E = 0;
    for (int j = 0; j < N; j++)
        w[j] = exp(-(double)u[j]) / N, all += w[j], c += (j + .5) / N * w[j];
    for (int j = 0, i = 0; j < N; j++) {
        if (i < M && j == cell(i)) p[i] = P, e[i++] = E;
        E += w[j] / all;
        w[j] *= c / all - (j + .5) / N;
        P += w[j];
    }
}

static void apply(const void *self, const fd_space *s, int b, const fd_real *u, double *y,
                  fd_arena a)
{
    double w[N], e[M];
    (void)self, (void)s, (void)a;
    for (int k = 0; k < b; k++) flow(u + k * N, w, y + k * M, e);
}

/* transpose -- g = (dy/du)^T v. */
static void transpose(const void *self, const fd_space *s, int b, const fd_real *u, const double *v,
                      fd_real *g, fd_arena a)
{
    double w[N], p[M], e[M];
    (void)self, (void)s, (void)a;
    for (int k = 0; k < b; k++, v += M, g += N) {
        flow(u + k * N, w, p, e);
        for (int j = 0; j < N; j++) g[j] = 0;
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) g[j] += (fd_real)(v[i] * w[j] * (e[i] - (j < cell(i))));
    }
}

int main(void)
{
    fd_status st;
    fd_arena  a = fd_arena_over(mem, sizeof mem, &st);
    fd_space  s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov   *prior = fd_cov_matern(&a, &s, 1.0, 0.3, 1.5);
    fd_obs    o = { .s = s, .m = M, .apply = apply, .transpose = transpose };
    fd_real  *x = fd_raw(&a, fd_real, 2 * B * N), truth[N];             /* chains, ensemble */
    double    y[M], *phi = fd_raw(&a, double, CHAINS * LONG);
    fd_obs_noise(&a, &o, 1e-2);
    fd_cov_draw(prior, fd_seed(7), 0, 1, truth, a);
    fd_obs_draw(&o, fd_seed(8), 0, 1, truth, y, a);
    printf("transpose and differences apart by %.1e\n", fd_obs_check(&o, truth, fd_seed(9), a));
    fd_mcmc how = { .prior = prior, .phi = fd_obs_potential(&a, &o, y), .kind = FD_MCMC_HMC,
                    .leaps = 4, .h = .1, .adapt = 2000 };
    for (int c = 0; c < CHAINS; c++) {
        fd_arena  own = a;
        fd_chain *run = fd_chain_begin(&own, &how, fd_seed(1), c, NULL);
        for (int k = -how.adapt; k < LONG && run; k++) {
            fd_chain_step(run, own);
            if (k >= 0) phi[c * LONG + k] = run->phi;
            if (k >= 0 && k % KEEP == 0) fd_chain_get(run, x + (c * B / CHAINS + k / KEEP) * N);
        }
    }
    fd_cov_draw(prior, fd_seed(2), 0, B, x + B * N, a);
    for (uint32_t k = 0; k < 4; k++)
        fd_esmda(&o, y, 4, fd_stream(fd_seed(3), 'e', k), B, x + B * N, a);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "operator: %s\n", why), 1;
    printf("inf-HMC: R-hat of the misfit %.4f, %.0f effective draws\n",
           fd_rhat(CHAINS, LONG, phi, a), fd_ess(CHAINS, LONG, phi, a));
    puts("       x   truth            chains            ES-MDA");
    for (int j = N / 16; j < N; j += N / 8) {
        double m[2] = { 0 }, v[2] = { 0 };
        for (int i = 0; i < 2 * B; i++) m[i / B] += (double)x[i * N + j] / B;
        for (int i = 0; i < 2 * B; i++)
            v[i / B] += pow((double)x[i * N + j] - m[i / B], 2) / (B - 1);
        printf("%8.3f%8.2f%9.2f +- %.2f%9.2f +- %.2f\n", fd_coord(&s, 0, j), (double)truth[j], m[0],
               sqrt(v[0]), m[1], sqrt(v[1]));
    }
    return 0;
}
