/* allen.c -- a diffusion model whose noising is not linear: the stochastic Allen-Cahn equation
 * [Thesis eqs. 2.43, 2.44],
 *
 *     dX = (nu X'' + X - X^3) dt + s dW,      nu = .05, s = .5, W white in the waves of the grid,
 *
 * in mild form by exponential Euler (fd_semilinear_step), turned round in time by a network that
 * has seen its paths only. The equation is a gradient system: its stationary law pi is known,
 *
 *     exp(-2/s^2 int (X^4/4 - X^2)) N(0, s^2/2 (1 - nu Laplacian)^-1),
 *
 * and drawn by slice sampling; in pi the equation is its own reversal. So a step backwards is one
 * forward and s sqrt(h) F(x, t) besides, F = E[(x - forward(x'))/(s sqrt h) | x'] of pairs (x, x')
 * of neighbouring times, which is learned, and 0 once X_t has the law pi. Reversed from draws of pi
 * the equation should make the functions that it began with: two kinds, whose law is known.
 *
 *     build/allen [STEPS]                                    # out/allen.png, out/allen.csv */
#include "fd.h"
#include "plot.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { N = 16, K = 40, PATHS = 32, MANY = 1000, SEEN = 5 };
static const double T = 2, NU = 0.05, S = 0.5, PULL = 1;
typedef struct { fd_space s; fd_linear l; fd_cov *c0, *prior; fd_real *mean; } equation;

/* begin -- b functions of time 0: mean or -mean, and N(0, c0). */
static void begin(const equation *e, fd_rng r, int b, fd_real *x, fd_arena a)
{
    fd_cov_draw(e->c0, r, 0, b, x, a);
    for (int i = 0; i < b; i++) {
        double sign = fd_index(fd_stream(r, 'k', 0), (uint64_t)i, 2) ? 1 : -1;
        for (int j = 0; j < N; j++) x[i * N + j] += (fd_real)(sign * (double)e->mean[j]);
    }
}

/* onward -- a step of the equation in its own direction, with noise xi. */
static void onward(const equation *e, int b, fd_real *x, const fd_real *xi, fd_arena a)
{
    fd_real *pull = fd_raw(&a, fd_real, b * N);
    for (int i = 0; i < b * N && pull; i++)
        pull[i] = (fd_real)(1 + PULL) * x[i] - x[i] * x[i] * x[i];
    if (pull) fd_semilinear_step(&e->l, 0, T / K, b, x, pull, xi, a);
}

/* the potential of pi against the Gaussian: slice sampling wants its value only */
static double well(const void *self, const fd_space *s, const fd_real *x, fd_real *g, fd_arena a)
{
    double sum = 0;
    (void)self, (void)a;
    for (int i = 0; i < N; i++) {
        double u = (double)x[i];
        sum += 2 / (S * S) * s->h * (u * u * u * u / 4 - (1 + PULL) * u * u / 2);
        if (g) g[i] = (fd_real)(2 / (S * S) * (u * u * u - (1 + PULL) * u));
    }
    return sum;
}

/* stationary -- MANY draws of pi, of as many chains, and of either sign by its symmetry. */
static void stationary(const equation *e, fd_real *x, fd_arena a)
{
    const fd_mcmc how = { .prior = e->prior, .phi = { well, NULL }, .kind = FD_MCMC_SLICE };
    for (int i = 0; i < MANY; i++) {
        fd_arena own = a;
        fd_chain *c = fd_chain_begin(&own, &how, fd_seed(5), i, NULL);
        for (int k = 0; k < 150 && c; k++) fd_chain_step(c, own);
        if (c) fd_chain_get(c, x + i * N);
        for (int j = 0; j < N && i % 2; j++) x[i * N + j] = -x[i * N + j];
    }
}

/* learn -- F, from paths of the equation. */
static fd_net *learn(fd_arena *a, const equation *e, int steps)
{
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 16,
                           .layers = 2, .embed = 32, .time = FD_TIME_FILM,
                           .coords = FD_COORD_CLOSED,
                           .fno = { .modes = { 8 }, .lift = -1, .proj = 32 } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 3e-3, adam.warmup = 20, adam.steps = steps, adam.clip = 1, adam.ema = 0.995;
    fd_net *net = fd_net_new(a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(a, net, &adam);
    const int n = PATHS * N, all = K * PATHS;
    fd_real *x = fd_raw(a, fd_real, n), *xi = fd_raw(a, fd_real, n), *back = fd_raw(a, fd_real, n);
    fd_real *in = fd_raw(a, fd_real, K * n), *want = fd_raw(a, fd_real, K * n);
    double *t = fd_raw(a, double, all), loss = 0;
    for (int step = 0; step < steps && opt && t && !a->st->code; step++) {
        fd_rng r = fd_stream(fd_seed(2), 'p', (uint32_t)step);
        begin(e, fd_stream(r, '0', 0), PATHS, x, *a);
        for (int k = 0; k < K; k++) {
            fd_real *to = in + k * n, *y = want + k * n;
            memcpy(y, x, (size_t)n * sizeof *x);
            fd_cov_draw(e->l.noise, fd_stream(r, 'w', (uint32_t)k), 0, PATHS, xi, *a);
            onward(e, PATHS, x, xi, *a);
            memcpy(to, x, (size_t)n * sizeof *x), memcpy(back, x, (size_t)n * sizeof *x);
            onward(e, PATHS, back, NULL, *a);
            for (int i = 0; i < n; i++) y[i] = (y[i] - back[i]) / (fd_real)(S * sqrt(T / K));
            for (int i = 0; i < PATHS; i++) t[k * PATHS + i] = (k + 1.0) / K;
        }
        fd_tape tape = fd_tape_begin(a, FD_GRAD);
        fd_var *to = fd_input(&tape, 3, (int[]){ all, 1, N }, in);
        fd_var *says = fd_forward(net, &tape, &e->s, to, t);
        fd_var *fit = fd_mse_loss(&tape, &e->s, says, want, NULL);
        fd_backward(&tape, fit);
        if (fit) loss += (double)fit->x[0] / 100;
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a->st);
        if (step % 100 < 99) continue;
        printf("step %4d  loss %.4f\n", step + 1, loss);
        fflush(stdout);
        loss = 0;
    }
    return opt ? fd_net_with(a, net, opt->avg) : NULL;
}

/* reversed -- MANY functions from x, draws of pi, back to time 0; seen [SEEN - 1]: on the way. net
 * NULL: the equation as if it were in pi all the time. */
static void reversed(const equation *e, const fd_net *net, fd_real *x, fd_real *seen, fd_arena a)
{
    const int n = MANY * N;
    fd_model F = net ? fd_net_model(&a, net, FD_X0) : (fd_model){ 0 };
    fd_real *xi = fd_raw(&a, fd_real, n), *says = fd_new(&a, fd_real, n);
    double *t = fd_raw(&a, double, MANY);
    for (int k = K; k > 0 && t; k--) {
        for (int i = 0; i < MANY; i++) t[i] = (double)k / K;
        if (net) F.eval(F.self, &e->s, MANY, x, t, says, a);
        fd_cov_draw(e->l.noise, fd_stream(fd_seed(6), 'w', (uint32_t)k), 0, MANY, xi, a);
        onward(e, MANY, x, k > 1 ? xi : NULL, a);               /* no noise in the last step */
        for (int i = 0; i < n; i++) x[i] += (fd_real)(S * sqrt(T / K)) * says[i];
        if ((k - 1) % (K / (SEEN - 1)) == 0)
            memcpy(seen + (k - 1) / (K / (SEEN - 1)) * n, x, (size_t)n * sizeof *x);
    }
}

/* forward -- MANY paths of the equation, at the same times and the last one. */
static void forward(const equation *e, fd_rng r, fd_real *seen, fd_arena a)
{
    const int n = MANY * N;
    fd_real *x = fd_raw(&a, fd_real, n), *xi = fd_raw(&a, fd_real, n);
    if (!xi) return;
    begin(e, r, MANY, x, a);
    for (int k = 0; k <= K; k++) {
        if (k % (K / (SEEN - 1)) == 0)
            memcpy(seen + k / (K / (SEEN - 1)) * n, x, (size_t)n * sizeof *x);
        fd_cov_draw(e->l.noise, fd_stream(r, 'w', (uint32_t)k), 0, MANY, xi, a);
        onward(e, MANY, x, xi, a);
    }
}

/* pictures -- eight functions at each time, forward and reversed; returns the program's status. */
static int pictures(fd_status *st, const equation *e, const double *where,
                    const fd_real *const seen[], const char *text, fd_arena a)
{
    enum { SHOWN = 8 };
    static double y[3][SEEN][SHOWN][N];
    static char title[3][SEEN][48];
    static const char *const row[3] = { "paths", "reversed", "as if in pi" };
    static plot p[3 * SEEN];
    char why[160];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < SEEN; k++) {
            plot *q = &p[i * SEEN + k];
            sprintf(title[i][k], "%s, t = %g", row[i], T * k / (SEEN - 1));
            plot_begin(q, 330, 280, title[i][k], "x", NULL, 0, 0);
            q->lo[1] = -2.5, q->hi[1] = 2.5;
            for (int j = 0; j < SHOWN; j++) {
                for (int l = 0; l < N; l++)
                    y[i][k][j][l] = (double)seen[i ? i + 1 : 0][(k * MANY + j) * N + l];
                plot_line(q, N, where, y[i][k][j], "", PLOT_SOLID);
            }
        }
    (void)e;
    mkdir("out", 0777);
    plot_grid(st, 3, SEEN, p, "out/allen.png", a);
    FILE *f = fopen("out/allen.csv", "w");
    if (fd_explain(st, why, sizeof why)) return fprintf(stderr, "allen: %s\n", why), 1;
    if (!f || fputs(text, f) < 0 || fclose(f)) return fputs("allen: no out/allen.csv\n", stderr), 1;
    puts("wrote out/allen.png and out/allen.csv");
    return 0;
}

/* distances_said -- energy distances to paths of the equation, seen[0], at all times; into text,
 * too. */
static void distances_said(const equation *e, const fd_real *const seen[4], char *text)
{
    static const char *const name[3] = { "other paths", "reversed, learned",
                                         "as if it were in pi" };
    static double at[SEEN], far[3][SEEN];
    printf("energy distance to paths of the equation, %d draws each\n%-22s", MANY, "time");
    for (int k = 0; k < SEEN; k++) printf("%10g", at[k] = T * k / (SEEN - 1));
    puts("");
    for (int i = 0; i < 3; i++) {
        printf("%-22s", name[i]);
        for (int k = 0; k < SEEN; k++) {
            const ptrdiff_t from = (ptrdiff_t)k * MANY * N;
            far[i][k] = fd_energy_distance(&e->s, MANY, seen[i + 1] + from, MANY, seen[0] + from);
            printf("%10.4f", far[i][k]);
            sprintf(text + strlen(text), "%g,%s,%.5g\n", at[k], name[i], far[i][k]);
        }
        puts("");
    }
}

/* made_said -- of the functions x, signs put right: their mean and deviation beside the data's. */
static void made_said(const equation *e, const fd_real *x)
{
    double off[2] = { 0, 0 }, share = 0, mean[N] = { 0 }, sq[N] = { 0 }, var = fd_cov_trace(e->c0);
    for (int i = 0; i < MANY; i++) {
        const fd_real *y = x + i * N;
        double sign = fd_inner(&e->s, y, e->mean) > 0 ? 1 : -1;
        share += (sign > 0) / (double)MANY;
        for (int j = 0; j < N; j++) {
            mean[j] += sign * (double)y[j] / MANY;
            sq[j] += (double)y[j] * (double)y[j] / MANY;
        }
    }
    for (int j = 0; j < N; j++) {
        off[0] += pow(mean[j] - (double)e->mean[j], 2) / N;
        off[1] += (sq[j] - mean[j] * mean[j]) / N;
    }
    printf("made: share of the first kind %.3f (.5); its mean is off by %.3f, its deviation %.3f "
           "(%.3f)\n", share, sqrt(off[0]), sqrt(off[1]), sqrt(var));
}

int main(int argc, char **argv)
{
    static char text[4096] = "time,what,energy_distance\n";
    static double lam[N], where[N];
    char *end = NULL, why[160];
    long steps = argc > 1 ? strtol(argv[1], &end, 10) : 2000;
    if (argc > 2 || (end && *end) || steps < 1 || steps > 1000000)
        return fputs("usage: allen [STEPS], 1 to 1000000\n", stderr), 2;
    fd_status st;
    size_t size = (size_t)256 << 20;
    void *mem = malloc(size);
    fd_arena a = fd_arena_over(mem, mem ? size : 0, &st);
    equation e = { .s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1) };
    for (int k = 0; k < N; k++) lam[k] = S * S;
    e.l = fd_linear_heat(&a, fd_cov_table(&a, &e.s, lam), NU, PULL, T);
    for (int k = 0; k < N && e.l.a; k++) lam[k] = S * S / 2 / e.l.a[k];
    e.prior = fd_cov_table(&a, &e.s, lam);
    e.c0 = fd_cov_matern(&a, &e.s, 0.05, 0.3, 2.5);
    e.mean = fd_raw(&a, fd_real, N);
    fd_real *pi = fd_raw(&a, fd_real, MANY * N), *x = fd_raw(&a, fd_real, MANY * N);
    fd_real *seen[4];
    for (int i = 0; i < 4; i++) seen[i] = fd_raw(&a, fd_real, SEEN * MANY * N);
    for (int i = 0; i < N && e.mean; i++) {
        where[i] = (i + 0.5) / N;
        e.mean[i] = (fd_real)(1.2 * sin(2 * acos(-1.0) * where[i]) + 0.3);
    }
    fd_net *net = learn(&a, &e, (int)steps);
    if (seen[3]) stationary(&e, pi, a);
    for (int i = 0; i < 2 && seen[3]; i++)
        forward(&e, fd_stream(fd_seed(7), 'f', (uint32_t)i), seen[i], a);
    for (int i = 2; i < 4 && seen[3] && net; i++) {
        memcpy(x, pi, (size_t)(MANY * N) * sizeof *x);
        memcpy(seen[i] + (SEEN - 1) * MANY * N, pi, (size_t)(MANY * N) * sizeof *x);
        reversed(&e, i == 2 ? net : NULL, x, seen[i], a);
    }
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "allen: %s\n", why), 1;
    distances_said(&e, (const fd_real *const *)seen, text);
    made_said(&e, seen[2]);
    return pictures(&st, &e, where, (const fd_real *const *)seen, text, a);
}
