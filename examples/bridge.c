/* bridge.c -- where does a random path go if its end is known?
 *
 * The stochastic heat equation dX = .02 X'' dt + dW on a rod with fixed ends, from a bump to two
 * bumps at the time 1. The equation is linear, so each step of the bridge is exact, of any length:
 * the deviation of the drawn paths at t = 1/2 is held against what it must be, which is in mode k
 * half^2/whole for the variances of free paths after the times 1/2 and 1. The last numbers are what
 * the end costs, |mean - end|^2 in the norm of its covariance: with noise this rough a limit. Other
 * ways, and equations that are not linear: study/well.c. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

enum { N = 63, B = 2000, K = 20 };
static char mem[64 << 20];

int main(void)
{
    fd_status st;
    fd_arena  a = fd_arena_over(mem, sizeof mem, &st);
    fd_space  s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_DIRICHLET }, 1);
    fd_cov   *noise = fd_cov_power(&a, &s, 1.0, 5.0, 1.0);
    fd_linear heat = fd_linear_heat(&a, noise, .02, 0, 1);
    fd_real  *x = fd_raw(&a, fd_real, B * N), *end = fd_raw(&a, fd_real, B * N);
    fd_real  *xi = fd_raw(&a, fd_real, B * N), *path = fd_raw(&a, fd_real, (K + 1) * N);
    double    half[N], whole[N], got = 0, want = 0, high, cost;
    for (int i = 0; path && i < B * N; i++) {
        double u = fd_coord(&s, 0, i % N);
        x[i] = (fd_real)exp(-100 * (u - .5) * (u - .5));
        end[i] = (fd_real)(exp(-100 * (u - .3) * (u - .3)) + exp(-100 * (u - .7) * (u - .7)));
    }
    cost = fd_bridge_cost(&heat, x, end, &high, a);
    for (int k = 0; k <= K && !st.code; k++) {
        memcpy(path + k * N, x, N * sizeof *x);                  /* the first of the paths */
        if (k == K / 2)
            for (int i = 0; i < N; i++) {
                double mean = 0;
                for (int b = 0; b < B; b++) mean += (double)x[b * N + i] / B;
                for (int b = 0; b < B; b++) got += pow((double)x[b * N + i] - mean, 2) / B / N;
            }
        if (k == K) break;
        fd_cov_draw(noise, fd_stream(fd_seed(1), 'w', (uint32_t)k), 0, B, xi, a);
        fd_bridge_step(&heat, (double)k / K, (k + 1.) / K, B, x, end, xi, a);
    }
    fd_linear_law(&heat, 0, .5, NULL, half, a);
    fd_linear_law(&heat, 0, 1, NULL, whole, a);
    for (int k = 0; k < N; k++) want += half[k] * half[k] / whole[k] * (N + 1) / N;
    mkdir("out", 0777);
    fd_npy_save(&st, "out/bridge.npy", 2, (int[]){ K + 1, N }, path);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "bridge: %s\n", why), 1;
    printf("deviation at t = 1/2 over the exact one: %.3f, %d paths\n", sqrt(got / want), B);
    printf("what the end costs: %.1f, of it in high waves %.2g\n", cost, high);
    printf("wrote out/bridge.npy, a path at %d times\n", K + 1);
    return 0;
}
