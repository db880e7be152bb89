/* cubic.c -- what is left of the theory if the forward drift is cubic?
 *
 * The theory of [Pidstrigach] is for dX = -X/2 dt + sqrt(C) dW. Here one mode, C = 1, of
 *
 *     dX = -(X + a X^3)/2 dt + dW,       data .7 N(-1, .2^2) + .3 N(1.5, .2^2),       T = 4
 *
 * by transition matrices on a fine grid, so that laws, W2 and conditional means are known and
 * nothing is drawn. The reversal has the drift (x + a x^3)/2 + s(x, t) with, for s,
 *
 *     score       d/dx log p_t, the reversal of time, for which nothing need be linear
 *     one step    E[-(X_k - X_k-1 - f(X_k-1) h)/h | X_k], what one learns from pairs of a path
 *     E[X_0|x]    -(x - m E[X_0 | X_t = x])/v with the m and v of the best linear guess of X_t from
 *                 X_0: the formula of a linear drift, which holds there exactly
 *
 * each from the law of X_T, and the score from N(0, Var X_T), too. h = .02 and .01: what is due to
 * steps goes down with h. What leaves the grid, |x| < 4.5, is put at its end.
 *
 * build/cubic: table, out/cubic.csv, out/cubic.png. What it teaches is in bound.md. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { CELLS = 901, STEPS = 400, RULES = 4, CUBES = 4, REAL = 4096, PAIRS = 16 };
static const double T = 4, FROM = -4.5, WIDE = 9. / (CELLS - 1);
static const double cube[CUBES] = { 0, .1, .3, 1 };
static const char *const rule[RULES] = { "score", "one step", "E[X_0|x]", "score, N(0, var)" };

static double at(int i) { return FROM + i * WIDE; }
static double drift(double a, double x) { return -(x + a * x * x * x) / 2; }

/* move -- q <- law of x + h f(x) + sqrt(h) xi for x ~ q, f given at the cells. q may have signs. */
static void move(double h, const double *f, double *q)
{
    double to[CELLS] = { 0 };
    const int reach = (int)(7 * sqrt(h) / WIDE);
    for (int i = 0; i < CELLS; i++) {
        double mid = at(i) + h * f[i], sum = 0, p[CELLS];
        int c = (int)floor((mid - FROM) / WIDE + .5);
        c = c < 0 ? 0 : c >= CELLS ? CELLS - 1 : c;
        int lo = c - reach < 0 ? 0 : c - reach, hi = c + reach >= CELLS ? CELLS - 1 : c + reach;
        for (int j = lo; j <= hi; j++) sum += p[j] = exp(-pow(at(j) - mid, 2) / (2 * h));
        for (int j = lo; j <= hi && sum > 0; j++) to[j] += q[i] * p[j] / sum;
    }
    memcpy(q, to, sizeof to);
}

/* W2 of two laws on the cells, by their quantiles. */
static double w2(const double *p, const double *q)
{
    double sum = 0, left = p[0], right = q[0];
    for (int i = 0, j = 0; i < CELLS && j < CELLS;) {
        double d = fmin(left, right);
        sum += d * pow(at(i) - at(j), 2), left -= d, right -= d;
        if (left <= right && ++i < CELLS) left += p[i];
        else if (right < left && ++j < CELLS) right += q[j];
    }
    return sqrt(sum);
}

/* two_sets -- W2 of two sets of REAL draws, the mean of PAIRS pairs. */
static double two_sets(const double *data, fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, REAL);
    double q[2][CELLS], all = 0;
    for (int k = 0; k < 2 * PAIRS && u; k++) {
        fd_uniform(fd_seed((uint64_t)k), REAL, u);
        memset(q[k % 2], 0, sizeof q[0]);
        for (int i = 0; i < REAL; i++) {
            int j = 0;
            for (double left = (double)u[i]; j < CELLS - 1 && (left -= data[j]) > 0;) j++;
            q[k % 2][j] += 1. / REAL;
        }
        if (k % 2) all += w2(q[0], q[1]) / PAIRS;
    }
    return all;
}

/* reversed -- W2 to the data for each rule, with `steps` steps; v: the laws that come out. */
static void reversed(double a, int steps, double out[RULES], double v[RULES][CELLS], double *data,
                     fd_arena mem)
{
    const double h = T / steps;
    double *p = fd_new(&mem, double, (steps + 1) * CELLS);
    double *m1 = fd_new(&mem, double, (steps + 1) * CELLS);
    double *one = fd_new(&mem, double, (steps + 1) * CELLS), f[CELLS], g[CELLS], sum = 0;
    double x0 = 0, x00 = 0, var = 0, mean = 0;
    if (!one) return;
    for (int i = 0; i < CELLS; i++) {
        p[i] = .7 * exp(-pow(at(i) + 1, 2) / .08) + .3 * exp(-pow(at(i) - 1.5, 2) / .08);
        sum += p[i], f[i] = drift(a, at(i));
    }
    for (int i = 0; i < CELLS; i++) {
        data[i] = p[i] /= sum, m1[i] = p[i] * at(i);
        x0 += m1[i], x00 += m1[i] * at(i);
    }
    for (int k = 1; k <= steps; k++) {                       /* p, E[X_0; x], E[X_k-1 + h f; x] */
        double *P = p + k * CELLS, *M = m1 + k * CELLS, *O = one + k * CELLS;
        memcpy(P, P - CELLS, CELLS * sizeof *P), memcpy(M, M - CELLS, CELLS * sizeof *M);
        for (int i = 0; i < CELLS; i++) O[i] = P[i] * (at(i) + h * f[i]);
        move(h, f, P), move(h, f, M), move(h, f, O);
    }
    for (int r = 0; r < RULES; r++) {
        const double *last = p + steps * CELLS;
        sum = mean = var = 0;
        for (int i = 0; i < CELLS; i++) mean += last[i] * at(i), var += last[i] * at(i) * at(i);
        for (int i = 0; i < CELLS; i++) {
            v[r][i] = r == 3 ? exp(-pow(at(i), 2) / (2 * (var - mean * mean))) : last[i];
            sum += v[r][i];
        }
        for (int i = 0; i < CELLS; i++) v[r][i] /= sum;
        for (int k = steps; k > 0; k--) {
            const double *P = p + k * CELLS, *M = m1 + k * CELLS, *O = one + k * CELLS;
            double xx = 0, x0x = 0, ex = 0;
            for (int i = 0; i < CELLS; i++)
                ex += P[i] * at(i), xx += P[i] * at(i) * at(i), x0x += M[i] * at(i);
            const double m = (x0x - x0 * ex) / (x00 - x0 * x0), b = ex - m * x0;
            const double rest = xx - ex * ex - m * m * (x00 - x0 * x0);
            for (int i = 0; i < CELLS; i++) {
                double x = at(i), s = 0;
                int lo = i ? i - 1 : 0, hi = i + 1 < CELLS ? i + 1 : i;
                if (P[lo] > 1e-280 && P[hi] > 1e-280 && P[i] > 1e-280)
                    s = r == 1 ? -(x - O[i] / P[i]) / h
                      : r == 2 ? -(x - b - m * M[i] / P[i]) / rest
                      : (log(P[hi]) - log(P[lo])) / ((hi - lo) * WIDE);
                g[i] = -f[i] + s;
            }
            move(h, g, v[r]);
        }
        out[r] = w2(data, v[r]);
    }
}

int main(void)
{
    static const char *const head[] = { "cube", "steps", "score", "one_step", "conditional_mean",
                                        "score_from_gauss" };
    static double v[RULES][CELLS], data[CELLS], x[CELLS], keep[RULES][CELLS], out[2 * CUBES][6];
    size_t size = (size_t)64 << 20;
    void *mem = malloc(size);
    fd_status st;
    fd_arena a = fd_arena_over(mem, size, &st);
    plot p;
    int rows = 0;
    if (!mem) return fprintf(stderr, "cubic: needs 64 MB of memory\n"), 1;
    printf("W2 to the data\n%6s %6s %10s %10s %10s %18s\n", "a", "steps", rule[0], rule[1], rule[2],
           rule[3]);
    for (int c = 0; c < CUBES; c++)
        for (int steps = STEPS / 2; steps <= STEPS; steps *= 2, rows++) {
            double e[RULES] = { 0 };
            reversed(cube[c], steps, e, v, data, a);
            printf("%6.1f %6d %10.4f %10.4f %10.4f %18.4f\n", cube[c], steps, e[0], e[1], e[2],
                   e[3]);
            fflush(stdout);
            memcpy(out[rows], (double[]){ cube[c], steps, e[0], e[1], e[2], e[3] }, sizeof out[0]);
        }
    const double *last = out[rows - 1], sets = two_sets(data, a);
    for (int i = 0; i < CELLS; i++) {
        x[i] = at(i), data[i] /= WIDE;
        for (int r = 0; r < RULES; r++) keep[r][i] = v[r][i] / WIDE;
    }
    printf("verdict (a = 1, %d steps): the exact reversal %.4f, pairs of a path %.4f, the formula\n"
           "of a linear drift %.4f; two real sets of %d %.4f (mean of %d pairs)\n", STEPS, last[2],
           last[3], last[4], REAL, sets, PAIRS);
    plot_begin(&p, 900, 500, "what comes out for a = 1", "x", "density", 0, 0);
    plot_line(&p, CELLS, x, data, "data", PLOT_SOLID);
    for (int r = 0; r < 3; r++) plot_line(&p, CELLS, x, keep[r], rule[r], PLOT_DASHED);
    mkdir("out", 0777);
    plot_save(&st, &p, "out/cubic.png", a);
    fd_csv_save(&st, "out/cubic.csv", 6, head, rows, out[0]);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "cubic: %s\n", why), 1;
    printf("wrote out/cubic.png and out/cubic.csv\n");
    return 0;
}
