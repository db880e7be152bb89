/* gauss.c -- do samples have the law that theory says, if the denoiser is exact?
 *
 * The data are N(0, C0), the noise is N(0, C), both Matern. The denoiser is linear, so the
 * variance of what a sampler makes is known without sampling: `law` below, by fd_exact_law. What
 * separates it from `data` is the error of so many steps; what separates `drawn` from it is
 * chance, 1 % for 4096 functions. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

enum { N = 64, B = 4096, STEPS = 200 };
static char mem[64 << 20];

int main(void)
{
    fd_status  st;
    fd_arena   a     = fd_arena_over(mem, sizeof mem, &st);
    fd_space   s     = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov    *noise = fd_cov_matern(&a, &s, 1.0, 0.1, 1.5);
    fd_cov    *data  = fd_cov_matern(&a, &s, 1.0, 0.3, 2.5);
    fd_process p     = fd_vp(noise, 0.1, 20.0);
    fd_real   *x     = fd_raw(&a, fd_real, B * N), *u = fd_raw(&a, fd_real, B * N);
    double     t[STEPS + 1], law[N];
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_model   best  = fd_oracle_gauss(&a, &p, NULL, data);
    fd_sampler how   = { .p = &p, .model = best, .t = t, .steps = STEPS };

    printf("standard deviation of modes\n");
    printf("%-12s%6s%10s%10s%10s\n", "scheme", "mode", "data", "law", "drawn");
    for (int i = 0; i < 2; i++) {
        how.scheme = i ? FD_ANCESTRAL : FD_DDIM;
        fd_start_law(&how, NULL, law, a);
        fd_exact_law(&how, NULL, law, a);
        fd_sample(&how, fd_seed(1), 0, B, x, a);
        fd_to_modes(&s, B, x, u, a);
        for (int k = 0; k < 16 && !st.code; k = 2 * k + 1) {
            double drawn = 0;
            for (int j = 0; j < B; j++) drawn += (double)u[j * N + k] * (double)u[j * N + k] / B;
            printf("%-12s%6d%10.4f%10.4f%10.4f\n", fd_scheme_name(how.scheme), k,
                   sqrt(data->lam[k]), sqrt(law[k]), sqrt(drawn));
        }
    }

    mkdir("out", 0777);
    fd_npy_save(&st, "out/gauss.npy", 2, (int[]){ 16, N }, x);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "gauss: %s\n", why); return 1; }
    printf("wrote out/gauss.npy\n");
    return 0;
}
