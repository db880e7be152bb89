/* alias.c -- what is lost when a random function is known at n points [Thesis eqs. 3.65-3.69]? Its
 * values are interpolated by waves, and the result is compared with the function. For N(0, C) the
 * error is known: with E_n = sum of the eigenvalues of C of the waves |k| > (n - 1)/2,
 *
 *     projection on the waves that n points can hold              E_n
 *     interpolation by them: what is lost, and what is folded in  2 E_n
 *     by the waves k = 1 .. n, as (3.65) is printed               2 sum of those of k < 1 and k > n
 *
 * The last one, divided by n, which the print leaves out, takes waves for others that agree with
 * them at the points only. Functions live on 729 points of a circle; grids of 3 to 243 of them are
 * parts of it.
 *
 *     build/alias                                              # out/alias.png, out/alias.csv */
#include "fd.h"
#include "plot.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FINE = 729, GRIDS = 5, LAWS = 4, DRAWS = 400 };

/* printed -- |u - x|^2 for u from the values of x at n points and the waves k = 1 .. n, complex. */
static double printed(int n, const fd_real *x)
{
    static double re[FINE], im[FINE], cosine[FINE], sine[FINE];
    double sum = 0;
    for (int i = 0; i < FINE; i++)
        cosine[i] = cos(2 * acos(-1.0) * i / FINE), sine[i] = sin(2 * acos(-1.0) * i / FINE);
    for (int k = 1; k <= n; k++) {
        re[k] = im[k] = 0;
        for (int i = 0; i < n; i++) {
            int at = i * (FINE / n), phase = (int)((long)k * at % FINE);
            re[k] += (double)x[at] * cosine[phase] / n;
            im[k] -= (double)x[at] * sine[phase] / n;
        }
    }
    for (int p = 0; p < FINE; p++) {
        double u = -(double)x[p], v = 0;
        for (int k = 1; k <= n; k++) {
            int at = (int)((long)k * p % FINE);
            u += re[k] * cosine[at] - im[k] * sine[at];
            v += re[k] * sine[at] + im[k] * cosine[at];
        }
        sum += (u * u + v * v) / FINE;
    }
    return sum;
}

/* tail -- variance in the waves from <= k <= FINE, of one of the two of each k. */
static double tail(const fd_cov *c, int from)
{
    double sum = 0;
    for (ptrdiff_t j = from ? 2 * from - 1 : 0; j < c->s.modes; j += j ? 2 : 1) sum += c->lam[j];
    return sum;
}

static const char *const name[LAWS] = { "Matern 1/2", "Matern 3/2", "Matern 5/2",
                                        "squared exponential" };

/* measured -- the three errors on n points: got by draws of c, want as the theory has them. x: room
 * for four functions. */
static void measured(const fd_space *s, const fd_cov *c, int n, fd_real *x, double got[3],
                     double want[3], fd_arena a)
{
    fd_real *u = x + FINE, *v = u + FINE, *part = v + FINE;
    const fd_space coarse = fd_grid(&a, 1, (int[]){ n }, NULL, NULL, 1);
    got[0] = got[1] = got[2] = 0;
    for (int i = 0; i < DRAWS; i++) {
        fd_cov_draw(c, fd_seed(1), i, 1, x, a);
        for (int j = 0; j < n; j++) part[j] = x[j * (FINE / n)];
        fd_resample(&coarse, s, 1, part, v, a);                  /* the values, interpolated */
        fd_resample(s, &coarse, 1, x, part, a);
        fd_resample(&coarse, s, 1, part, u, a);                  /* its waves */
        for (int j = 0; j < FINE; j++) {
            got[0] += pow((double)u[j] - (double)x[j], 2) / FINE / DRAWS;
            got[1] += pow((double)v[j] - (double)x[j], 2) / FINE / DRAWS;
        }
        got[2] += printed(n, x) / DRAWS;
    }
    want[0] = 2 * tail(c, (n + 1) / 2);
    want[1] = 2 * want[0];
    want[2] = 2 * (tail(c, 0) + tail(c, n + 1));
}

/* law_shown -- the lines of law l in the table and in its plot. */
static void law_shown(int l, const fd_space *s, fd_real *x, char *text, plot *p, fd_arena a)
{
    static const char *const way[3] = { "projection", "interpolation", "as printed" };
    static double points[GRIDS], got[LAWS][3][GRIDS], want[LAWS][3][GRIDS];
    const fd_cov *c = l < 3 ? fd_cov_matern(&a, s, 1, 0.2, l + 0.5) : fd_cov_rbf(&a, s, 1, 0.1);
    plot_begin(p, 420, 360, name[l], "points", "mean square of the error", 1, 1);
    p->lo[1] = 1e-14, p->hi[1] = 10;
    for (int g = 0, n = 3; g < GRIDS && !a.st->code; g++, n *= 3) {
        double sum[3], exact[3];
        measured(s, c, n, x, sum, exact, a);
        points[g] = n;
        printf("%-20s %6d", g ? "" : name[l], n);
        sprintf(text + strlen(text), "%s,%d", name[l], n);
        for (int e = 0; e < 3; e++) {
            got[l][e][g] = sum[e], want[l][e][g] = exact[e];
            printf(" %12.4g %11.4g", sum[e], exact[e]);
            sprintf(text + strlen(text), ",%.5g,%.5g", sum[e], exact[e]);
        }
        strcat(text, "\n");
        puts("");
    }
    for (int e = 0; e < 3; e++) {
        plot_line(p, GRIDS, points, want[l][e], l ? "" : way[e], PLOT_SOLID);
        plot_line(p, GRIDS, points, got[l][e], NULL, PLOT_POINTS);
    }
}

int main(void)
{
    static char text[8192] = "law,points,projection,projection_exact,interpolation,"
                             "interpolation_exact,printed,printed_exact\n";
    fd_status st;
    size_t size = (size_t)64 << 20;
    void *mem = malloc(size);
    fd_arena a = fd_arena_over(mem, mem ? size : 0, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ FINE }, NULL, NULL, 1);
    fd_real *x = fd_raw(&a, fd_real, 4 * FINE);
    plot p[LAWS];
    printf("%-20s %6s %24s %24s %24s\n", "", "points", "projection, exact",
           "interpolation, exact", "as printed, exact");
    for (int l = 0; l < LAWS && x; l++) law_shown(l, &s, x, text, &p[l], a);
    mkdir("out", 0777);
    plot_row(&st, LAWS, p, "out/alias.png", a);
    char why[160];
    FILE *f = fopen("out/alias.csv", "w");
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "alias: %s\n", why), 1;
    if (!f || fputs(text, f) < 0 || fclose(f)) return fputs("alias: no out/alias.csv\n", stderr), 1;
    puts("wrote out/alias.png and out/alias.csv");
    free(mem);
    return 0;
}
