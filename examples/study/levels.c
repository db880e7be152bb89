/* levels.c -- how good must the scores of the early levels be if the last Langevin chain is long?
 *
 * A question that [Survey sec. 3] leaves open. Annealed Langevin goes through times t_1 > .. > t_L
 * and makes some steps at each, by the score of that time; only the last score is that of the data.
 * Here all scores but the last are multiplied by c, and what comes out is known exactly, as a
 * function of the length of the last chain.
 *
 *   left     the posterior of a Gaussian prior given three noisy values; the law by fd_affine_law.
 *            Error of mean and pointwise deviation against the law at the last time, for noise with
 *            the prior's covariance (lines) and for rougher noise (dashed)
 *   right    no observations, a mixture of two Gaussians that differ in one mode: its law by the
 *            transition matrix of that mode, whose squares are chains of any length. Total
 *            variation
 *
 * build/levels: the table below in out/levels.csv, out/levels.png. What it teaches is in
 * levels.md. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 32, M = 3, LEVELS = 10, EACH = 20, LENGTHS = 12, DOUBLE = 22, CELLS = 601, SPOILED = 4,
       LAST = 3000 };
static const double factor[SPOILED] = { 1, .5, 2, 0 };
static const char *const named[SPOILED] = { "right scores", "half of each", "twice each", "none" };

/* A model whose score is c times that of another: D = (x - c (x - m D'))/m. */
typedef struct { const fd_process *p; fd_model right; double c; } spoiled;

static void spoiled_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                         const double *t, fd_real *y, fd_arena scratch)
{
    const spoiled *w = self;
    fd_predict(&w->right, FD_X0, w->p, b, x, t, y, scratch);
    for (int i = 0; i < b; i++) {
        double m = fd_law(w->p, t[i], 0).m;
        for (ptrdiff_t j = i * s->points; j < (i + 1) * s->points; j++)
            y[j] = (fd_real)(((1 - w->c) * (double)x[j] + w->c * m * (double)y[j]) / m);
    }
}

/* ---- Given three values, Gaussian ------------------------------------------------------------ */

typedef struct { const fd_process *p; fd_model m; fd_potential phi; double t, h; } chain;

static void chain_step(void *self, int b, double *x, const double *z, fd_arena a)
{
    const chain *w = self;
    const fd_cov *C = w->p->noise;
    fd_real *u = fd_raw(&a, fd_real, b * N), *xi = fd_raw(&a, fd_real, b * N);
    for (int i = 0; xi && i < b * N; i++)
        u[i] = (fd_real)x[i], xi[i] = (fd_real)(sqrt(C->lam[i % N]) * z[i]);
    fd_from_modes(&C->s, b, xi, xi, a);
    fd_langevin(w->p, &w->m, &w->phi, w->t, w->h, 1, b, u, xi, a);
    for (int i = 0; xi && i < b * N; i++) x[i] = (double)u[i];
}

/* given -- err[i] after at[i] steps of the last chain. */
static void given(int rough, double c, const double at[LENGTHS], double err[LENGTHS], fd_arena a)
{
    const double place[M] = { .2, .5, .8 }, y[M] = { 1.2, -.3, .4 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c0 = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_cov *C = rough ? fd_cov_matern(&a, &s, 1, .3, .5) : c0;
    fd_process p = fd_ou(C, 2);
    fd_obs o = fd_obs_points(&a, &s, M, place, NULL);
    fd_obs_noise(&a, &o, .22);
    fd_real *mean = fd_raw(&a, fd_real, N), *dev = fd_raw(&a, fd_real, N);
    fd_real *e = fd_raw(&a, fd_real, N);
    double *m = fd_new(&a, double, N), *cov = fd_new(&a, double, N * N);
    if (!cov) return;
    for (int i = 0; i < N; i++) mean[i] = (fd_real)sin(2 * acos(-1) * (i + .5) / N);
    for (int j = 0; j < N; j++) {                                       /* it starts from N(0, C) */
        for (int i = 0; i < N; i++) e[i] = i == j ? N : 0;
        fd_cov_pow(C, 1, 1, e, e, a);
        for (int i = 0; i < N; i++) cov[i * N + j] = (double)e[i];
    }
    spoiled w = { &p, fd_oracle_gauss(&a, &p, mean, c0), c };
    chain k = { .p = &p, .phi = fd_obs_potential(&a, &o, y), .h = rough ? .003 : .01 };
    for (int l = 0; l + 1 < LEVELS; l++) {
        k.t = pow(1e-3, l / (LEVELS - 1.));
        k.m = (fd_model){ .predicts = FD_X0, .eval = spoiled_eval, .self = &w };
        for (int i = 0; i < EACH; i++) fd_affine_law(chain_step, &k, N, N, m, cov, a);
    }
    fd_posterior *exact = fd_posterior_new(&a, mean, c0, &o, y);
    fd_posterior_std(exact, dev, a);
    k.t = 1e-3, k.m = w.right;
    for (int i = 0, next = 0; exact && next < LENGTHS && !a.st->code; i++) {
        if (i == at[next]) {
            double dm = 0, ds = 0, nm = 0, ns = 0;
            for (int j = 0; j < N; j++) {
                double v = sqrt(fmax(0, cov[j * (N + 1)]));
                dm += pow(m[j] - (double)exact->mean[j], 2), nm += pow((double)exact->mean[j], 2);
                ds += pow(v - (double)dev[j], 2), ns += pow((double)dev[j], 2);
            }
            err[next++] = sqrt(dm / nm + ds / ns);
        }
        fd_affine_law(chain_step, &k, N, N, m, cov, a);
    }
}

/* ---- A mixture, one mode --------------------------------------------------------------------- */

/* kernel -- T [CELLS][CELLS] of one step on the coefficient u of mode 1, u = -3 .. 3: the drift is
 * that of fd_langevin without noise on the functions u e_1, which are a batch; the noise is N(0, 2
 * h lam). */
static void kernel(const fd_process *p, const fd_model *m, double t, double h, fd_real *T,
                   fd_arena a)
{
    const fd_space *s = &p->noise->s;
    const double sd = sqrt(2 * h * p->noise->lam[1]), dx = 6. / (CELLS - 1);
    fd_real *x = fd_new(&a, fd_real, CELLS * s->points);
    if (!x) return;
    for (int i = 0; i < CELLS; i++) x[i * s->points + 1] = (fd_real)(i * dx - 3);
    fd_from_modes(s, CELLS, x, x, a);
    fd_langevin(p, m, NULL, t, h, 1, CELLS, x, NULL, a);
    fd_to_modes(s, CELLS, x, x, a);
    for (int i = 0; i < CELLS; i++) {
        double sum = 0, to = (double)x[i * s->points + 1];
        for (int j = 0; j < CELLS; j++) sum += exp(-pow((j * dx - 3 - to) / sd, 2) / 2);
        for (int j = 0; j < CELLS; j++)
            T[i * CELLS + j] = (fd_real)(exp(-pow((j * dx - 3 - to) / sd, 2) / 2) / sum);
    }
}

/* through -- q [CELLS] <- q T. */
static void through(const fd_real *T, fd_real *q, fd_arena a)
{
    fd_real *next = fd_raw(&a, fd_real, CELLS);
    fd_gemm(0, 0, 1, CELLS, CELLS, 1, q, CELLS, T, CELLS, 0, next, CELLS, a);
    if (next) memcpy(q, next, CELLS * sizeof *q);
}

/* mixed -- total variation after 2^i steps of the last chain, i < DOUBLE. */
static void mixed(double c, double err[DOUBLE], fd_arena a)
{
    const double mu = 1.6, weight[2] = { .7, .3 }, h = .05, dx = 6. / (CELLS - 1);
    fd_space s = fd_grid(&a, 1, (int[]){ 16 }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *within = fd_cov_matern(&a, &s, .3, .3, 1.5), *C = fd_cov_matern(&a, &s, 1, .3, 1.5);
    const fd_cov *each[2] = { within, within };
    fd_process p = fd_ou(C, 2);
    fd_real *mean = fd_new(&a, fd_real, 32), *q = fd_raw(&a, fd_real, CELLS), total = 0;
    fd_real *T = fd_raw(&a, fd_real, CELLS * CELLS), *U = fd_raw(&a, fd_real, CELLS * CELLS);
    if (!U) return;
    mean[1] = (fd_real)-mu, mean[17] = (fd_real)mu;
    fd_from_modes(&s, 2, mean, mean, a);
    for (int i = 0; i < CELLS; i++)
        total += q[i] = (fd_real)exp(-pow(i * dx - 3, 2) / 2 / C->lam[1]);
    for (int i = 0; i < CELLS; i++) q[i] /= total;
    spoiled w = { &p, fd_oracle_mix(&a, &p, 2, weight, mean, each), c };
    fd_model m = { .predicts = FD_X0, .eval = spoiled_eval, .self = &w };
    for (int l = 0; l + 1 < LEVELS; l++) {
        kernel(&p, &m, pow(1e-3, l / (LEVELS - 1.)), h, T, a);
        for (int i = 0; i < EACH; i++) through(T, q, a);
    }
    kernel(&p, &w.right, 1e-3, h, T, a);
    for (int i = 0; i < DOUBLE; i++) {                                  /* T is that of 2^i steps */
        fd_arena own = a;
        fd_real *now = fd_raw(&own, fd_real, CELLS);
        fd_coef f = fd_law(&p, 1e-3, 0);
        double v = f.m * f.m * within->lam[1] + f.v * C->lam[1];
        if (!now) return;
        memcpy(now, q, CELLS * sizeof *q);
        through(T, now, own);
        err[i] = 0;
        for (int j = 0; j < CELLS; j++) {
            double u = j * dx - 3, want = 0;
            for (int k = 0; k < 2; k++)
                want += weight[k] * exp(-pow(u - (k ? 1 : -1) * f.m * mu, 2) / (2 * v))
                      / sqrt(2 * acos(-1) * v) * dx;
            err[i] += fabs((double)now[j] - want) / 2;
        }
        fd_gemm(0, 0, CELLS, CELLS, CELLS, 1, T, CELLS, T, CELLS, 0, U, CELLS, a);
        /* rounding must not pile up */
        for (int j = 0; j < CELLS; j++) {
            double sum = 0;
            for (int k = 0; k < CELLS; k++) sum += (double)U[j * CELLS + k];
            for (int k = 0; k < CELLS; k++)
                U[j * CELLS + k] = (fd_real)((double)U[j * CELLS + k] / sum);
        }
        fd_real *swap = T;
        T = U, U = swap;
    }
}

int main(void)
{
    static const double at[LENGTHS] = { 0, 10, 30, 60, 100, 150, 200, 300, 500, 1000, 2000, LAST };
    static const char *const head[] = { "case", "factor", "steps", "error" };
    static const char *const what[] = {
        "Gaussian, noise with the prior's covariance, h = .01: error of mean and deviation",
        "Gaussian, rougher noise, h = .003", "mixture: total variation" };
    static double err[3][SPOILED][DOUBLE], x[DOUBLE], out[3 * SPOILED * DOUBLE][4];
    fd_status st;
    size_t size = (size_t)64 << 20;
    void *mem = malloc(size);
    fd_arena a = fd_arena_over(mem, size, &st);
    plot p[2];
    int rows = 0;
    if (!mem) return fprintf(stderr, "levels: needs 64 MB of memory\n"), 1;
    plot_begin(&p[0], 640, 480, "Gaussian, given three values", "steps of the last chain",
               "error of mean and deviation", 0, 1);
    plot_begin(&p[1], 640, 480, "mixture of .7 and .3", "steps of the last chain",
               "total variation", 1, 1);
    for (int i = 0; i < DOUBLE; i++) x[i] = ldexp(1, i);
    for (int kind = 0; kind < 3; kind++) {
        int n = kind < 2 ? LENGTHS : DOUBLE;
        printf("%s\n%-14s", what[kind], "steps");
        for (int i = 0; i < n; i += 1 + (kind == 2)) printf("%9.0f", kind < 2 ? at[i] : x[i]);
        printf("\n");
        for (int c = 0; c < SPOILED; c++) {
            if (kind < 2) given(kind, factor[c], at, err[kind][c], a);
            else mixed(factor[c], err[kind][c], a);
            printf("%-14s", named[c]);
            for (int i = 0; i < n; i += 1 + (kind == 2)) printf("%9.2g", err[kind][c][i]);
            printf("\n");
            fflush(stdout);
            for (int i = 0; i < n; i++, rows++)
                memcpy(out[rows], (double[]){ kind, factor[c], kind < 2 ? at[i] : x[i],
                                              err[kind][c][i] }, sizeof out[0]);
        }
    }
    for (int c = 0; c < SPOILED; c++) {
        plot_line(&p[0], LENGTHS - 3, at, err[0][c], named[c], PLOT_SOLID);
        plot_line(&p[0], LENGTHS - 3, at, err[1][c], NULL, PLOT_DASHED);
        plot_line(&p[1], DOUBLE, x, err[2][c], named[c], PLOT_SOLID);
    }
    mkdir("out", 0777);
    plot_row(&st, 2, p, "out/levels.png", a);
    fd_csv_save(&st, "out/levels.csv", 4, head, rows, out[0]);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "levels: %s\n", why), 1;
    printf("wrote out/levels.png and out/levels.csv\n");
    return 0;
}
