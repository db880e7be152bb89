/* bridge.c -- where does a random path go if its end is known? Two cases with exact answers.
 *
 * 1. The stochastic heat equation dX = .02 X'' dt + dW on a rod with fixed ends, from a bump to two
 * bumps:
 *    linear, so each step of the bridge is exact. Printed are the deviation of the drawn paths in the middle
 *    of time, over what it should be, and what the end costs: with noise this rough a limit.
 * 2. A particle in the double well V = (x^2 - 1)^2, dX = -V'(X) dt + dW, from -1 to 1 in the time
 * 4. Relative to
 *    Brownian bridges its paths have the density exp(-int Psi), Psi = (V'^2 - V'')/2: a Markov chain (pCN)
 *    on paths, which are functions of time, draws them; marginals are known by passing densities
 *    forward and backward over a grid. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 63, B = 2000, K = 20, TIMES = 32, CELLS = 521, KEEP = 400, THIN = 600 };
static char mem[64 << 20];

/* ---- The heat equation ------------------------------------------------------------------------ */

static void heat(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_DIRICHLET }, 1);
    fd_cov *Q = fd_cov_power(&a, &s, 1.0, 5.0, 1.0);
    fd_linear l = fd_linear_heat(&a, Q, .02, 0, 1);
    fd_real *x = fd_raw(&a, fd_real, B * N), *end = fd_raw(&a, fd_real, B * N), *xi = fd_raw(&a,
        fd_real, B * N);
    double *decay = fd_raw(&a, double, N), *half = fd_raw(&a, double, N), *whole = fd_raw(&a,
        double, N);
    double got = 0, want = 0, upper, mean;
    if (!whole) return;
    for (int i = 0; i < B * N; i++) {
        double u = fd_coord(&s, 0, i % N);
        x[i] = (fd_real)exp(-100 * (u - .5) * (u - .5));
        end[i] = (fd_real)(exp(-100 * (u - .3) * (u - .3)) + exp(-100 * (u - .7) * (u - .7)));
    }
    double cost = fd_bridge_cost(&l, x, end, &upper, a);
    /* to the middle of time */
    for (int k = 0; k < K / 2; k++) {
        fd_cov_draw(Q, fd_stream(fd_seed(1), 'w', (uint32_t)k), 0, B, xi, a);
        fd_bridge_step(&l, (double)k / K, (k + 1.) / K, B, x, end, xi, a);
    }
    fd_linear_law(&l, 0, .5, decay, half, a), fd_linear_law(&l, 0, 1, NULL, whole, a);
    for (int i = 0; i < N; i++) {
        mean = 0;
        for (int b = 0; b < B; b++) mean += (double)x[b * N + i] / B;
        for (int b = 0; b < B; b++) got += pow((double)x[b * N + i] - mean, 2) / B / N;
    }
    for (int k = 0; k < N; k++) want += half[k] * half[k] / whole[k] * (N + 1) / N;
    printf("heat equation: deviation in the middle over the exact one %.3f; cost of the end %.1f, of it in high waves %.2g\n",
           sqrt(got / want), cost, upper);
}

/* ---- The double well --------------------------------------------------------------------------- */

static double psi(double x)
{
    double slope = 4 * x * (x * x - 1), bend = 12 * x * x - 4;
    return .5 * (slope * slope - bend);
}

static double action(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                     fd_arena scratch)
{
    double sum = 0, dt = 4. / TIMES;
    (void)self, (void)scratch, (void)g;
    for (ptrdiff_t i = 0; i < s->points; i++) sum += dt * psi((double)x[i]);
    return sum;
}

/* exact -- mean and deviation of the chain of TIMES steps at the time 4 k/TIMES. */
static void exact(int k, double *mean, double *sd)
{
    static double f[2][CELLS], g[CELLS];
    const double dx = 5.2 / (CELLS - 1), dt = 4. / TIMES;
    double mass = 0, m = 0, v = 0;
    /* from -1 forward, from 1 backward */
    for (int way = 0; way < 2; way++) {
        double *p = f[way], at = way ? 1 : -1;
        for (int i = 0; i < CELLS; i++) p[i] = exp(-pow(i * dx - 2.6 - at, 2) / (2 * dt));
        for (int step = 1; step < (way ? TIMES - k : k); step++) {
            for (int i = 0; i < CELLS; i++) {
                g[i] = 0;
                for (int j = 0; j < CELLS; j++) {
                    double d = (i - j) * dx;
                    if (d * d < 60 * dt) g[i] += p[j] * exp(-dt * psi(j * dx - 2.6) - d * d / (2 * dt));
                }
            }
            for (int i = 0; i < CELLS; i++) p[i] = g[i];
        }
    }
    for (int i = 0; i < CELLS; i++) {
        double x = i * dx - 2.6, w = f[0][i] * f[1][i] * exp(-dt * psi(x));
        mass += w, m += w * x, v += w * x * x;
    }
    *mean = m / mass, *sd = sqrt(v / mass - m / mass * (m / mass));
}

static void well(fd_arena a)
{
    double T = 4;
    /* the times between */
    fd_space s = fd_grid(&a, 1, (int[]){ TIMES - 1 }, &T, (int[]){ FD_DIRICHLET }, 1);
    fd_cov *bridge = fd_cov_bridge(&a, &s, 1);
    fd_real line[TIMES], *x = fd_raw(&a, fd_real, KEEP * TIMES);
    double lam = 0, mean, sd;
    /* the bridge of the chain: min(s,t) - st/T at the points */
    for (int k = 0; bridge && k < TIMES - 1; k++) {
        double w = 2 * (TIMES / T) * sin(acos(-1) * (k + 1) / (2 * TIMES));
        bridge->lam[k] = 1 / (w * w), lam += bridge->lam[k];
    }
    for (int i = 0; i < TIMES - 1; i++) line[i] = (fd_real)(-1 + 2. * (i + 1) / TIMES);
    fd_mcmc how = { .prior = bridge, .mean = line, .phi = { action, NULL }, .kind = FD_MCMC_PCN,
        .h = .1, .adapt = 5000 };
    fd_chain *c = fd_chain_begin(&a, &how, fd_seed(2), 0, line);
    for (int k = -how.adapt; c && k < KEEP * THIN; k++) {
        fd_chain_step(c, a);
        if (k >= 0 && k % THIN == 0) fd_chain_get(c, x + k / THIN * TIMES);
    }
    printf("double well: %d steps of pCN\n%8s %18s %18s\n", KEEP * THIN, "time", "mean (exact)",
           "deviation (exact)");
    for (int k = 4; k <= TIMES / 2 && c; k += 4) {
        double m = 0, v = 0;
        for (int b = 0; b < KEEP; b++) m += (double)x[b * TIMES + k - 1] / KEEP;
        for (int b = 0; b < KEEP; b++) v += pow((double)x[b * TIMES + k - 1] - m, 2) / KEEP;
        exact(k, &mean, &sd);
        printf("%8.2f %8.3f (%.3f) %8.3f  (%.3f)\n", 4. * k / TIMES, m, mean, sqrt(v), sd);
    }
}

int main(void)
{
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    char why[160];
    heat(a);
    well(a);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "bridge: %s\n", why), 1;
    return 0;
}
