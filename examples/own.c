/* own.c -- how does the noise get a covariance of my own, and is it one law on every grid?
 *
 * A covariance is its eigenvalues lam_k on the modes e_k of the Laplacian, whose own eigenvalues
 * are mu_k = w^2. Any lam = f(mu) >= 0 with a finite sum is a law on functions; here it is waves of
 * about one length, lam ~ exp(-(w/w0 - 1)^2/2s^2), on a square with free edges. Where two grids
 * share a mode their tables hold the same number, so one seed draws the same functions on both, as
 * the picture shows: 24x24 points above, 96x96 below. A kernel k(x, y) goes to fd_cov_kernel. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

enum { GRIDS = 2, SHOW = 6, SIDE = 192, CELL = SIDE + 4, H = GRIDS * CELL, W = SHOW * CELL };
static const int points[GRIDS] = { 24, 96 };
static char mem[64 << 20];

static double own(double mu)
{
    double w0 = 4 * 2 * acos(-1), s = 0.15, u = sqrt(mu) / w0 - 1;
    return exp(-u * u / (2 * s * s));
}

/* draw -- SHOW functions of variance 1 on a grid. */
static fd_real *draw(fd_arena *a, const fd_space *s)
{
    double  *lam = fd_raw(a, double, s->modes), total = 0;
    fd_real *x = fd_raw(a, fd_real, SHOW * s->points);
    fd_laplace(s, lam, *a);
    for (ptrdiff_t k = 0; lam && k < s->modes; k++) total += lam[k] = own(lam[k]);
    for (ptrdiff_t k = 0; lam && k < s->modes; k++) lam[k] /= total;
    fd_cov_draw(fd_cov_table(a, s, lam), fd_seed(1), 0, SHOW, x, *a);
    return x;
}

int main(void)
{
    fd_status st;
    fd_arena  a = fd_arena_over(mem, sizeof mem, &st);
    fd_space  s[GRIDS];
    fd_real  *x[GRIDS];
    for (int g = 0; g < GRIDS; g++) {
        int n[2] = { points[g], points[g] }, bc[2] = { FD_NEUMANN, FD_NEUMANN };
        s[g] = fd_grid(&a, 2, n, NULL, bc, 1);
        x[g] = draw(&a, &s[g]);
    }
    fd_real *y = fd_raw(&a, fd_real, SHOW * s[0].points);
    unsigned char *rgb = fd_raw(&a, unsigned char, 3 * H * W);
    fd_resample(&s[1], &s[0], SHOW, x[1], y, a);       /* the finer grid's, on the coarse one */
    char why[160];
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "own: %s\n", why); return 1; }

    double apart = 0, all = 0;
    for (ptrdiff_t i = 0; i < SHOW * s[0].points; i++) {
        double d = (double)y[i] - (double)x[0][i];
        apart += d * d;
        all += (double)x[0][i] * (double)x[0][i];
    }
    printf("6 functions on 24x24 and on 96x96 points: relative distance %.1e\n", sqrt(apart / all));

    memset(rgb, 60, 3 * H * W);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            int g = i / CELL, f = j / CELL, n = points[g];
            int row = i % CELL * n / SIDE, col = j % CELL * n / SIDE;
            if (row >= n || col >= n) continue;                                /* between two */
            double u = (double)x[g][(f * n + row) * n + col] / 6 + 0.5;        /* from -3 to 3 */
            fd_colour(FD_DIVERGING, u, rgb + 3 * (i * W + j));
        }
    mkdir("out", 0777);
    fd_png_save(&st, "out/own.png", H, W, rgb);
    if (fd_explain(&st, why, sizeof why)) { fprintf(stderr, "own: %s\n", why); return 1; }
    printf("wrote out/own.png\n");
    return 0;
}
