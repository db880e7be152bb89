/* well.c -- a particle in a double well is seen at -1 and, a time 4 later, at 1: what did it do?
 * Seven ways to draw its path, each against the exact marginals; results: well.md.
 *
 * dX = -V'(X) dt + dW, V = (x^2 - 1)^2. Densities passed forward and backward over a grid give the
 * exact law. The ways: a Markov chain on paths; guided proposals, weighted and as a chain; the time
 * reversal learned from free paths; the drift towards any end learned from free paths (Malliavin
 * weights); a diffusion model of free paths as functions of time, which is shown both ends by
 * projection in the Cameron-Martin norm, or in that of L2 [Pidstrigach].
 *
 *     build/well [FACTOR of the trainings' steps, 1]                                out/well.csv */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { CELLS = 1041, N = 256, EXACT = 512, PATHS = 4000, TIMES = 7, POINTS = 65 };
static const double T = 4, edge = 2.6, gap = 5.2 / (CELLS - 1);
static double ahead[EXACT + 1][CELLS], behind[EXACT + 1][CELLS], law[TIMES + 1][CELLS];
static FILE *csv;
static clock_t began;

static double pull(double x) { return -4 * x * (x * x - 1); }
static double psi(double x) { return .5 * (pull(x) * pull(x) - (12 * x * x - 4)); }
static void drift(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)t;
    y[0] = pull(x[0]);
}
static void one(const void *self, const double *x, double t, double *G)
{
    (void)self, (void)x, (void)t;
    G[0] = 1;
}
static const fd_system well = { 1, 1, drift, one, NULL, NULL };

/* ---- The exact law -------------------------------------------------------------------------- */

/* exact -- law[i]: the density of X at i T/8 given both ends. Returns log p(X_4 = 1 | X_0
 * = -1). Of n steps: errors of order 1/n^2. */
static double exact(int n)
{
    static double K[2 * CELLS], w[CELLS], g[CELLS];
    const double h = T / n;
    double Z = 0;
    for (int i = 0; i < 2 * CELLS; i++)
        K[i] = exp(-pow((i - CELLS) * gap, 2) / (2 * h)) / sqrt(2 * acos(-1) * h);
    for (int i = 0; i < CELLS; i++) {
        double x = i * gap - edge;
        w[i] = exp(-h * psi(x));
        ahead[1][i] = exp(-(x + 1) * (x + 1) / (2 * h)) / sqrt(2 * acos(-1) * h) * w[i];
        behind[n - 1][i] = exp(-(x - 1) * (x - 1) / (2 * h)) / sqrt(2 * acos(-1) * h);
    }
    for (int k = 1; k < n - 1; k++)
        for (int way = 0; way < 2; way++) {
            double *p = way ? behind[n - k] : ahead[k];
            double *to = way ? behind[n - 1 - k] : ahead[k + 1];
            for (int i = 0; i < CELLS; i++) g[i] = way ? p[i] * w[i] : p[i];
            for (int i = 0; i < CELLS; i++) {
                double sum = 0;
                for (int j = i > 170 ? i - 170 : 0; j < CELLS && j < i + 170; j++)
                    sum += gap * g[j] * K[i - j + CELLS];
                to[i] = way ? sum : sum * w[i];
            }
        }
    for (int i = 1; i <= TIMES; i++) {
        double mass = 0;
        int k = i * n / 8;
        for (int j = 0; j < CELLS; j++) mass += gap * (law[i][j] = ahead[k][j] * behind[k][j]);
        for (int j = 0; j < CELLS; j++) law[i][j] /= mass;
    }
    for (int i = 0; i < CELLS; i++) Z += gap * ahead[n - 1][i] * behind[n - 1][i];
    return log(Z) - h * psi(1);                            /* half of the steps at either end */
}

static int ascending(const void *p, const void *q)
{
    double x = *(const double *)p, y = *(const double *)q;
    return (x > y) - (x < y);
}

/* apart -- W1 = int |F_n - F| of n numbers, which are sorted, to a density. */
static double apart(int n, double *x, const double p[CELLS])
{
    double F = 0, sum = 0;
    int k = 0;
    qsort(x, (size_t)n, sizeof *x, ascending);
    for (int j = 0; j < CELLS - 1; j++) {
        F += gap * p[j];
        while (k < n && x[k] < (j + .5) * gap - edge) k++;
        sum += gap * fabs(F - (double)k / n);
    }
    return sum;
}

/* judge -- n numbers at each of the times, x [TIMES + 1][n]; mean and deviation at T/2. */
static void judge(const char *name, int n, double *x)
{
    double worst = 0, m = 0, v = 0;
    printf("%-34s", name);
    for (int i = 1; i <= TIMES; i++) {
        double *u = x + (ptrdiff_t)i * n, sum = apart(n, u, law[i]);
        for (int j = 0; i == 4 && j < n; j++) m += u[j] / n, v += u[j] * u[j] / n;
        worst = fmax(worst, sum);
        printf(" %.3f", sum);
        if (csv) fprintf(csv, "%s,%g,%.4f\n", name, i * T / 8, sum);
    }
    printf("   largest %.3f  at 2: %6.3f %5.3f  %4.0f s\n", worst, m, sqrt(v - m * m),
           (double)(clock() - began) / CLOCKS_PER_SEC);
    fflush(stdout);
    began = clock();
}

/* ---- Chains and proposals ------------------------------------------------------------------- */

static double action(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                     fd_arena scratch)
{
    double sum = 0, h = T / (double)(s->points + 1);
    (void)self, (void)scratch, (void)g;
    for (ptrdiff_t i = 0; i < s->points; i++) sum += h * psi((double)x[i]);
    return sum;
}

/* chains -- pCN on paths, which are functions with the law of a Brownian bridge before. */
static void chains(double *x, fd_arena a)
{
    enum { CHAINS = 40, EACH = PATHS / CHAINS, THIN = 600, BURN = 6000 };
    double len = T;
    fd_space s = fd_grid(&a, 1, (int[]){ N - 1 }, &len, (int[]){ FD_DIRICHLET }, 1);
    fd_cov *bridge = fd_cov_bridge(&a, &s, 1);
    fd_real line[N - 1], path[N - 1];
    for (int k = 0; bridge && k < N - 1; k++) {            /* min(s, t) - st/T at the points */
        double w = 2 * (N / T) * sin(acos(-1) * (k + 1) / (2 * N));
        bridge->lam[k] = 1 / (w * w);
    }
    for (int i = 0; i < N - 1; i++) line[i] = (fd_real)(-1 + 2. * (i + 1) / N);
    for (int c = 0; c < CHAINS; c++) {
        fd_arena own = a;
        fd_mcmc how = { .prior = bridge, .mean = line, .phi = { action, NULL },
                        .kind = FD_MCMC_PCN, .h = .25 };
        fd_chain *ch = fd_chain_begin(&own, &how, fd_seed(1), c, line);
        for (int k = -BURN; ch && k < EACH * THIN; k++) {
            fd_chain_step(ch, own);
            if (k < 0 || k % THIN) continue;
            fd_chain_get(ch, path);
            for (int i = 1; i <= TIMES; i++)
                x[i * PATHS + c * EACH + k / THIN] = (double)path[i * N / 8 - 1];
        }
    }
    judge("pCN on paths", PATHS, x);
}

/* proposals -- Brownian bridges plus the drift of the well: weighted and drawn again; a chain. */
static void proposals(double *x, double truth, fd_arena a)
{
    enum { MANY = 40000, CHAINS = 80, EACH = PATHS / CHAINS, THIN = 100, BURN = 1000 };
    static double t[N + 1], lw[MANY], when[MANY][TIMES + 1], z[N], path[N + 1], end = 1;
    static fd_real xi[N], u[PATHS];
    double ess, like, se, sum = 0;
    for (int k = 0; k <= N; k++) t[k] = T * k / N;
    fd_proposal how = { &well, N, t, NULL, NULL, NULL, &end, NULL, FD_PROPOSAL_CHAIN, NULL, NULL,
                        NULL, 0, NULL, NULL, NULL };
    fd_proposal *g = fd_proposal_new(&a, &how);
    path[0] = -1;
    for (int i = 0; g && i < MANY; i++) {
        fd_normal(fd_stream(fd_seed(2), 'z', (uint32_t)i), N, xi);
        for (int k = 0; k < N; k++) z[k] = (double)xi[k];
        fd_proposal_path(g, 1, z, path, lw + i, a);
        for (int k = 1; k <= TIMES; k++) when[i][k] = path[k * N / 8];
    }
    like = fd_proposal_log(g, 0, path) + fd_proposal_mean(MANY, lw, &ess);
    se = sqrt((MANY / ess - 1) / MANY);
    fd_uniform(fd_seed(3), PATHS, u);
    for (int i = 0, j = 0; i < PATHS; i++) {               /* systematic resampling */
        double want = ((double)u[0] + i) / PATHS * exp(like - fd_proposal_log(g, 0, path)) * MANY;
        while (j < MANY - 1 && sum + exp(lw[j]) < want) sum += exp(lw[j++]);
        for (int k = 1; k <= TIMES; k++) x[k * PATHS + i] = when[j][k];
    }
    judge("guided proposals, weighted", PATHS, x);
    printf("    density of the end %.4f +- %.4f, exact %.4f; %d paths count as %.0f\n", exp(like),
           exp(like) * se, exp(truth), MANY, ess);
    for (int c = 0; g && c < CHAINS; c++) {
        double now;
        fd_normal(fd_stream(fd_seed(4), 'z', (uint32_t)c), N, xi);
        for (int k = 0; k < N; k++) z[k] = (double)xi[k];
        fd_proposal_path(g, 1, z, path, &now, a);
        for (int k = -BURN; k < EACH * THIN; k++) {
            fd_proposal_move(g, .4, fd_stream(fd_seed(5), 'c', (uint32_t)c), (uint32_t)(k + BURN),
                             z, path, &now, a);
            for (int i = 1; i <= TIMES && k >= 0 && k % THIN == 0; i++)
                x[i * PATHS + c * EACH + k / THIN] = path[i * N / 8];
        }
    }
    judge("guided proposals, pCN on noise", PATHS, x);
}

/* ---- Learned drifts ------------------------------------------------------------------------- */

static fd_opt *trainer(fd_arena *a, fd_net **net, int in, int steps)
{
    fd_arch arch = { .kind = FD_SIREN, .nd = 1, .in = in, .out = 1, .width = 32, .layers = 3,
                     .time = FD_TIME_CHANNEL, .tscale = 1 / T, .inr.omega = 4 };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 5e-3, adam.warmup = 20, adam.steps = steps, adam.clip = 1, adam.ema = .99;
    *net = fd_net_new(a, &arch, fd_seed(6));
    return fd_opt_new(a, *net, &adam);
}

/* ask -- the network at n states and ends, [n][in], at times t [n]; fit: what it should say, with
 * weights w, and one step of training, or NULL. */
static void ask(fd_net *net, fd_opt *opt, int n, const fd_real *in, const double *t,
                const fd_real *fit, const double *w, double *y, fd_arena a)
{
    int ch = net->arch.in;
    fd_space s = fd_grid(&a, 1, (int[]){ 1 }, NULL, NULL, ch);
    fd_tape tape = fd_tape_begin(&a, fit ? FD_GRAD : FD_EVAL);
    fd_var *u = fd_forward(net, &tape, &s, fd_input(&tape, 3, (int[]){ n, ch, 1 }, in), t);
    s.ch = 1;
    if (fit) fd_backward(&tape, fd_mse_loss(&tape, &s, u, fit, w));
    for (int i = 0; y && u && i < n; i++) y[i] = (double)u->x[i];
    if (fit) fd_opt_step(opt, net, a.st);
}

enum { ROWS = 32, PAIRS = ROWS * N };
static double times[PAIRS], dW[PAIRS];

static void noise(int n, fd_rng r, int k, double *w)                           /* N(0, T/N) */
{
    static fd_real xi[PAIRS];
    fd_normal(fd_stream(r, 'k', (uint32_t)k), n, xi);
    for (int i = 0; i < n; i++) w[i] = sqrt(T / N) * (double)xi[i];
}

/* reversal -- E[-dX/h | X'] from free paths, less what Brownian motion has; then from 1 back. */
static void reversal(double *x, int steps, fd_arena a)
{
    static double from[ROWS], to[ROWS], y[ROWS], u[PATHS], now[PATHS];
    static fd_real in[PAIRS], want[PAIRS];
    const double h = T / N;
    fd_net *net;
    fd_opt *opt = trainer(&a, &net, 1, steps);
    for (int step = 0; step < steps && opt && !a.st->code; step++) {
        for (int i = 0; i < ROWS; i++) from[i] = -1;
        for (int k = 0; k < N; k++) {
            noise(ROWS, fd_stream(fd_seed(7), 's', (uint32_t)step), k, dW);
            for (int i = 0; i < ROWS; i++) to[i] = from[i];
            fd_system_step(&well, FD_SDE_EULER, k * h, h, ROWS, to, dW, a);
            fd_system_target(&well, FD_REVERSAL_DRIFT, k * h, h, ROWS, from, to, y, a);
            for (int i = 0; i < ROWS; i++) {
                int j = k * ROWS + i;
                times[j] = (k + 1) * h, in[j] = (fd_real)to[i];
                want[j] = (fd_real)(y[i] + (to[i] + 1) / times[j]), from[i] = to[i];
            }
        }
        ask(net, opt, PAIRS, in, times, want, NULL, NULL, a);
    }
    net = opt ? fd_net_with(&a, net, opt->avg) : NULL;
    for (int i = 0; i < PATHS; i++) now[i] = 1;
    for (int k = N; k > 0 && net; k--) {
        static double w[PAIRS];
        for (int i = 0; i < PATHS; i++) in[i] = (fd_real)now[i], times[i] = k * h;
        ask(net, NULL, PATHS, in, times, NULL, NULL, u, a);
        noise(PATHS, fd_seed(8), k, w);
        for (int i = 0; i < PATHS; i++) now[i] += h * (u[i] - (now[i] + 1) / (k * h)) + w[i];
        if ((k - 1) % (N / 8) == 0 && k > 1) memcpy(x + (k - 1) / (N / 8) * PATHS, now, sizeof now);
    }
    judge("time reversal, learned", PATHS, x);
}

/* towards -- grad log p(x_T | x_t) for any end, from Malliavin weights of free paths, less what
 * Brownian motion has; then from -1 to 1 in forward time. */
static void towards(double *x, int steps, fd_arena a)
{
    enum { MANY = 4096, WINDOW = 16 };             /* .25: longer weights have long tails */
    static double now[4096], J[MANY], y[MANY], start[MANY], u[PATHS], w[PAIRS], scale[MANY];
    static fd_real in[2 * PAIRS], want[MANY];
    const double h = T / N;
    fd_net *net;
    fd_opt *opt = trainer(&a, &net, 2, steps);
    for (int step = 0; step < steps && opt && !a.st->code; step++) {
        fd_rng r = fd_stream(fd_seed(9), 's', (uint32_t)step);
        for (int i = 0; i < MANY; i++) now[i] = -1, J[i] = 1, y[i] = 0;
        for (int k = 0; k < N; k++) {
            noise(MANY, r, k, w);
            for (int i = 0; i < MANY; i++) {               /* path i counts from step k0 on */
                int k0 = i * N / MANY, len = N - k0 < WINDOW ? N - k0 : WINDOW;
                if (k == k0) start[i] = now[i];
                if (k >= k0 && k < k0 + len)
                    fd_system_weight(&well, k * h, h, 1 / (len * h), 1, now + i, w + i, J + i,
                                     y + i, a);
            }
            fd_system_step(&well, FD_SDE_EULER, k * h, h, MANY, now, w, a);
        }
        for (int i = 0; i < MANY; i++) {
            double left = T - i * N / MANY * h;
            times[i] = T - left, scale[i] = left < WINDOW * h ? left / (WINDOW * h) : 1;
            in[2 * i] = (fd_real)start[i], in[2 * i + 1] = (fd_real)now[i];
            /* of m = x + f h, from which the noise of the step starts: dm/dx = 1 + f' h */
            want[i] = (fd_real)(y[i] / (1 + h * (4 - 12 * start[i] * start[i]))
                                - (now[i] - start[i] - h * pull(start[i])) / left);
        }
        ask(net, opt, MANY, in, times, want, scale, NULL, a);
    }
    net = opt ? fd_net_with(&a, net, opt->avg) : NULL;
    for (int i = 0; i < PATHS; i++) now[i] = -1;
    for (int k = 0; k < N && net; k++) {
        if (k && k % (N / 8) == 0) memcpy(x + k / (N / 8) * PATHS, now, sizeof now);
        for (int i = 0; i < PATHS; i++)
            in[2 * i] = (fd_real)now[i], in[2 * i + 1] = 1, times[i] = k * h;
        ask(net, NULL, PATHS, in, times, NULL, NULL, u, a);
        noise(PATHS, fd_seed(10), k, w);
        for (int i = 0; i < PATHS; i++) {
            double m = now[i] + h * pull(now[i]);
            now[i] = m + h * (u[i] + (1 - m) / (T - k * h)) + w[i];
        }
    }
    judge("drift by Malliavin weights, learned", PATHS, x);
}

/* ---- A diffusion model of free paths -------------------------------------------------------- */

enum { BATCH = 32, SOME = 600, LOT = 100, STEPS = 200, FINER = 8 };

/* free_paths -- b paths in equilibrium at POINTS times, the first at 0 and the last at T. */
static void free_paths(int b, fd_rng r, fd_real *x, fd_arena a)
{
    static double F[CELLS];
    const double h = T / (POINTS - 1) / FINER;
    fd_real u[LOT], *xi = fd_raw(&a, fd_real, (ptrdiff_t)(POINTS - 1) * FINER);
    double sum = 0;
    for (int i = 0; i < CELLS; i++) {
        double s = i * gap - edge, v = (s * s - 1) * (s * s - 1);
        F[i] = sum += exp(-2 * v);
    }
    fd_uniform(fd_stream(r, 'u', 0), b, u);
    for (int i = 0; xi && i < b; i++) {
        int j = 0;
        while (j < CELLS - 1 && F[j] < (double)u[i] * sum) j++;
        double now = j * gap - edge;
        fd_normal(fd_stream(r, 'w', (uint32_t)i), (POINTS - 1) * FINER, xi);
        for (int k = 0; k < POINTS; k++) {
            x[i * POINTS + k] = (fd_real)now;
            for (int l = 0; l < FINER && k < POINTS - 1; l++)
                now += h * pull(now) + sqrt(h) * (double)xi[k * FINER + l];
        }
    }
}

/* learned -- the network of a model of free paths; NULL where anything failed. */
static fd_net *learned(fd_arena *a, const fd_process *p, int steps)
{
    const fd_space *s = &p->noise->s;
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 24, .layers = 4,
                     .time = FD_TIME_FILM, .fno = { .modes = { 48 }, .lift = -1, .proj = 48 } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3, adam.warmup = 50, adam.steps = steps, adam.clip = 1, adam.ema = .99;
    fd_net *net = fd_net_new(a, &arch, fd_seed(11));
    fd_opt *opt = fd_opt_new(a, net, &adam);
    fd_real *x0 = fd_raw(a, fd_real, BATCH * POINTS), *xt = fd_raw(a, fd_real, BATCH * POINTS);
    fd_real *eps = fd_raw(a, fd_real, BATCH * POINTS), *v = fd_raw(a, fd_real, BATCH * POINTS);
    for (int step = 0; step < steps && v && !a->st->code; step++) {
        fd_rng r = fd_stream(fd_seed(12), 's', (uint32_t)step);
        double time[BATCH];
        free_paths(BATCH, r, x0, *a);
        fd_draw_times(p, FD_T_STRATIFIED, NULL, fd_stream(r, 't', 0), 0, BATCH, time, a->st);
        fd_perturb(p, fd_stream(r, 'e', 0), 0, BATCH, x0, time, xt, eps, *a);
        fd_target(p, FD_V, BATCH, x0, eps, time, v, *a);
        fd_tape tape = fd_tape_begin(a, FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ BATCH, 1, POINTS }, xt);
        fd_backward(&tape, fd_mse_loss(&tape, s, fd_forward(net, &tape, s, in, time), v, NULL));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a->st);
    }
    return opt && !a->st->code ? fd_net_with(a, net, opt->avg) : NULL;
}

/* diffusion -- paths of the model that are free, and that are projected to both ends. */
static void diffusion(double *x, int steps, fd_arena a)
{
    static double still[CELLS];
    double mass = 0, len = T * POINTS / (POINTS - 1), t[STEPS + 1], time[LOT];
    fd_space s = fd_grid(&a, 1, (int[]){ POINTS }, &len, (int[]){ FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, 1, .5);
    fd_process p = fd_vp(c, .1, 20);
    fd_net *net = learned(&a, &p, steps);
    if (!net) return;
    printf("    trained on free paths: %.0f s\n", (double)(clock() - began) / CLOCKS_PER_SEC);

    fd_obs o = fd_obs_pick(&a, &s, 2, (const ptrdiff_t[]){ 0, POINTS - 1 });
    fd_gain *g = fd_gain_new(&a, &o, c, NULL);
    double y[2 * LOT], path[2 * LOT], z[2 * LOT];
    fd_real lots[2 * LOT];
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, a.st);
    fd_sampler how = { .p = &p, .model = fd_net_model(&a, net, FD_V), .t = t, .steps = STEPS,
                       .scheme = FD_ANCESTRAL };
    for (int i = 0; i < LOT; i++) y[2 * i] = -1, y[2 * i + 1] = 1;
    for (int i = 0; i < CELLS; i++) {
        double s2 = (i * gap - edge) * (i * gap - edge);
        mass += gap * (still[i] = exp(-2 * (s2 - 1) * (s2 - 1)));
    }
    for (int i = 0; i < CELLS; i++) still[i] /= mass;
    for (int rule = 0; rule < 3; rule++) {                 /* free; L2; Cameron-Martin */
        began = clock();
        for (int first = 0; first < SOME; first += LOT) {
            fd_arena own = a;
            fd_run *run = fd_begin(&own, &how, fd_seed(13), first, LOT);
            memset(path, 0, sizeof path);
            for (int k = 0; run && k <= STEPS; k++) {
                fd_rng r = fd_stream(fd_stream(fd_seed(14), 'q', (uint32_t)k), 'i',
                                     (uint32_t)first);
                if (k) fd_step(run, own);
                fd_normal(r, 2 * LOT, lots);
                for (int i = 0; i < 2 * LOT; i++) z[i] = (double)lots[i];
                fd_path_move(g, &p, FD_PATH_BRIDGE, k ? t[k - 1] : INFINITY, t[k], LOT, y, z, path,
                             own);
                if (rule == 1) fd_project_flat(&o, LOT, path, run->x, own);
                if (rule == 2) fd_project(g, LOT, path, run->x, NULL, own);
            }
            if (!run || own.st->code) return;
            for (int i = 0; i < LOT; i++) time[i] = t[STEPS];
            fd_predict(&how.model, FD_X0, &p, LOT, run->x, time, run->d, own);
            if (rule == 1) fd_project_flat(&o, LOT, y, run->d, own);
            if (rule == 2) fd_project(g, LOT, y, run->d, NULL, own);
            for (int i = 0; i < LOT; i++)
                for (int k = 1; k <= TIMES; k++)
                    x[k * SOME + first + i] = (double)run->d[i * POINTS + k * (POINTS - 1) / 8];
        }
        if (rule) judge(rule == 1 ? "diffusion model, projected in L2"
                        : "in the Cameron-Martin norm", SOME, x);
        else printf("    its paths without ends, at 2: W1 to the law of the well %.3f\n",
                    apart(SOME, x + 4 * SOME, still));
    }
}

int main(int argc, char **argv)
{
    static double x[(TIMES + 1) * PATHS];
    const size_t room = (size_t)512 << 20;
    fd_status st;
    void *mem = malloc(room);
    fd_arena a = fd_arena_over(mem, room, &st);
    double factor = argc > 1 ? atof(argv[1]) : 1;
    char why[160];
    if (argc > 2 || !(factor > 0) || !mem)
        return fprintf(stderr, "usage: well [FACTOR of the trainings' steps, 1], with 512 MB\n"), 2;
    mkdir("out", 0777);
    csv = fopen("out/well.csv", "w");
    if (csv) fprintf(csv, "method,time,W1\n");
    double truth = exact(EXACT / 2);
    truth = exact(EXACT) + (exact(EXACT) - truth) / 3;
    printf("W1 to the exact marginals at     .5    1     1.5   2     2.5   3     3.5\n");
    began = clock();
    static fd_real u[PATHS];                               /* exact draws: what W1 can see */
    for (int i = 1; i <= TIMES; i++) {
        fd_uniform(fd_stream(fd_seed(16), 'u', (uint32_t)i), PATHS, u);
        for (int j = 0; j < PATHS; j++) {
            double F = 0;
            int c = 0;
            while (c < CELLS - 1 && (F += gap * law[i][c]) < (double)u[j]) c++;
            x[i * PATHS + j] = c * gap - edge;
        }
    }
    judge("exact draws", PATHS, x);
    chains(x, a);
    proposals(x, truth, a);
    reversal(x, (int)(1200 * factor) + 1, a);
    towards(x, (int)(600 * factor) + 1, a);
    diffusion(x, (int)(2500 * factor) + 1, a);
    if (csv) fclose(csv);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "well: %s\n", why), 1;
    return 0;
}
