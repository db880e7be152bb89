/* judge.c -- do the functions in a file have the law that they should have? judge [FILE.npy].
 *
 * Any program may have made them, [n][points], values at i/points of the circle. The law here is
 * Gaussian, Matern with nu = 5/2 and length .3: the coefficients u_k of functions that have it are
 * independent N(0, lam_k). So sum_i u_ik^2/lam_k of n functions has the chi-square law of n
 * degrees, and (sum_i u_ik)^2/(n lam_k) that of one: the smallest p-value, times their number, says
 * how likely so bad a set is (status 1: below one in a thousand). Without a file two sets are drawn
 * and judged: by a sampler that is exact here, and by a usual one with too few steps. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, B = 500 };
static char mem[256 << 20];

/* tail -- of a chi-square law of n degrees beyond x, by Wilson and Hilferty; both sides. */
static double tail(double x, double n)
{
    double z = (pow(x / n, 1. / 3) - 1 + 2 / (9 * n)) / sqrt(2 / (9 * n));
    return erfc(fabs(z) / sqrt(2));
}

/* judge -- the p-value of n functions on s, and what gave it. */
static double judge(const char *name, const fd_space *s, int n, const fd_real *x, fd_arena a)
{
    fd_cov  *law = fd_cov_matern(&a, s, 1.0, 0.3, 2.5);
    fd_real *u = fd_raw(&a, fd_real, n * s->modes);
    double   worst = 1, of = 0, tests = 0;
    const char *what = "";
    fd_to_modes(s, n, x, u, a);
    for (ptrdiff_t k = 0; k < s->modes && !a.st->code; k++) {
        double sum = 0, squares = 0;
        if (law->lam[k] < 1e-9 * law->lam[0]) continue;        /* float holds rounding there */
        for (int i = 0; i < n; i++) sum += (double)u[i * s->modes + k];
        for (int i = 0; i < n; i++) squares += pow((double)u[i * s->modes + k], 2);
        double p[2] = { erfc(fabs(sum) / sqrt(2 * n * law->lam[k])),
                        tail(squares / law->lam[k], n) };
        for (int e = 0; e < 2; e++, tests++)
            if (p[e] < worst) worst = p[e], of = (double)k, what = e ? "variance" : "mean";
    }
    worst = fmin(1, worst * tests);
    printf("%-32s p = %-10.3g %s, by the %s of mode %.0f\n", name, worst,
           worst < 1e-3 ? "no" : "yes", what, of);
    return worst;
}

int main(int argc, char **argv)
{
    fd_status st;
    fd_arena  a = fd_arena_over(mem, sizeof mem, &st);
    double    p = 1, t[51];
    puts("is it the law?");
    if (argc > 1) {
        fd_array f = fd_load(&a, argv[1]);
        int fit = f.nd == 2 && f.n[0] > 0 && f.n[1] > 0;
        for (ptrdiff_t i = 0; fit && i < (ptrdiff_t)f.n[0] * f.n[1]; i++)
            fit = isfinite((double)f.x[i]);
        if (!fit && !st.code)
            return fprintf(stderr, "judge: %s: not finite, or not [n][points]\n", argv[1]), 2;
        fd_space s = fd_grid(&a, 1, (int[]){ fit ? f.n[1] : 1 }, NULL, NULL, 1);
        if (fit) p = judge(argv[1], &s, f.n[0], f.x, a);
    } else {
        fd_space   s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
        fd_process vp = fd_vp(fd_cov_matern(&a, &s, 1.0, 0.1, 1.5), 0.1, 20.0);
        fd_model   best = fd_oracle_gauss(&a, &vp, NULL, fd_cov_matern(&a, &s, 1.0, 0.3, 2.5));
        fd_real   *x = fd_raw(&a, fd_real, B * N);
        for (int few = 0; few < 2; few++) {
            int steps = few ? 10 : 50;
            fd_times(&vp, FD_LOGSNR, 0, steps - 1, t, &st);
            t[steps] = 0;                                      /* no noise is left over */
            fd_sampler how = { .p = &vp, .model = best, .t = t, .steps = steps,
                               .scheme = few ? FD_ANCESTRAL : FD_ANCESTRAL_OPTIMAL };
            fd_sample(&how, fd_seed(1), 0, B, x, a);
            judge(few ? "ancestral, 10 steps" : "exact steps, 50", &s, B, x, a);
        }
    }
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "judge: %s\n", why), 1;
    return p < 1e-3;
}
