/* test_shapes.c -- bridges of nonlinear equations and flows of shapes: the double well against
 * densities passed over a grid, learned time reversal, guided proposals, Malliavin weights.
 *
 * The well: V = (x^2 - 1)^2, dX = -V'(X) dt + dW from -1, seen at 1 at the time 4. Relative to the
 * Brownian bridge its paths have the density exp(-int Psi), Psi = (V'^2 - V'')/2. */
#include "test.h"

enum { CELLS = 1041, MOST = 512 };
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
static const double edge = 2.6, gap = 5.2 / (CELLS - 1), horizon = 4;
static double ahead[MOST + 1][CELLS], behind[MOST + 1][CELLS];

static double pull(double x) { return -4 * x * (x * x - 1); }
static double psi(double x) { return .5 * (pull(x) * pull(x) - (12 * x * x - 4)); }
static double place(int i) { return i * gap - edge; }

/* the kernel of a step of the well of length h, from x to y: WIENER, of Brownian motion, times
 * e^(-h Psi) at the end; EULER, of Euler's chain */
enum { WIENER, EULER };
static double kernel(int kind, double h, double x, double y)
{
    double d = y - x - (kind == EULER ? h * pull(x) : 0);
    return exp(-d * d / (2 * h)) / sqrt(2 * acos(-1) * h);
}

static double weight(int kind, double h, double x) { return kind == WIENER ? exp(-h * psi(x)) : 1; }

/* two_ways -- ahead[k]: density at k h of what starts in `from`; behind[k]: that of arriving in
 * `to` after n - k steps. Returns the density of `to` after n steps, for WIENER without e^(-h Psi)
 * at the end. */
static double two_ways(int kind, int n, double T, double from, double to)
{
    static double K[CELLS][CELLS];
    static int lo[CELLS], hi[CELLS];
    const double h = T / n;
    double sum = 0;
    for (int i = 0; i < CELLS; i++) {
        lo[i] = CELLS, hi[i] = 0;
        for (int j = 0; j < CELLS; j++) {
            double d = place(j) - place(i) - (kind == EULER ? h * pull(place(i)) : 0);
            K[i][j] = d * d < 72 * h ? kernel(kind, h, place(i), place(j)) * gap : 0;
            if (K[i][j] > 0 && lo[i] > j) lo[i] = j;
            if (K[i][j] > 0) hi[i] = j + 1;
        }
    }
    for (int i = 0; i < CELLS; i++) {
        ahead[1][i] = kernel(kind, h, from, place(i)) * weight(kind, h, place(i));
        behind[n - 1][i] = kernel(kind, h, place(i), to);
    }
    for (int k = 1; k < n - 1; k++) {
        double *p = ahead[k + 1], *q = behind[n - 1 - k], w[CELLS];
        memset(p, 0, sizeof ahead[0]);
        for (int j = 0; j < CELLS; j++) w[j] = behind[n - k][j] * weight(kind, h, place(j));
        for (int i = 0; i < CELLS; i++) {
            double s = 0, at = ahead[k][i];
            for (int j = lo[i]; j < hi[i]; j++) p[j] += at * K[i][j], s += K[i][j] * w[j];
            q[i] = s;
        }
        for (int j = 0; j < CELLS; j++) p[j] *= weight(kind, h, place(j));
    }
    for (int i = 0; i < CELLS; i++) sum += gap * ahead[n - 1][i] * behind[n - 1][i];
    return sum;
}

/* marginal -- mean, deviation and P(|X| < .5) of the path at step k given both ends; p [CELLS],
 * where not NULL, is its density. */
static void marginal(int k, double m[3], double *p)
{
    double mass = 0, sum[3] = { 0, 0, 0 };
    for (int i = 0; i < CELLS; i++) {
        double x = place(i), w = ahead[k][i] * behind[k][i];
        mass += w, sum[0] += w * x, sum[1] += w * x * x;
        /* Simpson's rule: 200 of the cells are between -.5 and .5 */
        if (i >= 420 && i <= 620) sum[2] += w * (i == 420 || i == 620 ? 1 : i % 2 ? 4 : 2) / 3;
    }
    for (int i = 0; p && i < CELLS; i++) p[i] = ahead[k][i] * behind[k][i] / (mass * gap);
    m[0] = sum[0] / mass, m[1] = sqrt(sum[1] / mass - m[0] * m[0]), m[2] = sum[2] / mass;
}

static int ascending(const void *p, const void *q)
{
    double x = *(const double *)p, y = *(const double *)q;
    return (x > y) - (x < y);
}

/* apart -- W1 of n numbers, which are sorted, to a density on the cells: int |F_n - F|. */
static double apart(int n, double *x, const double p[CELLS])
{
    double sum = 0, F = 0;
    int k = 0;
    qsort(x, (size_t)n, sizeof *x, ascending);
    for (int i = 0; i < CELLS - 1; i++) {
        F += gap * p[i];                                        /* up to the middle of i, i + 1 */
        while (k < n && x[k] < place(i) + gap / 2) k++;
        sum += gap * fabs(F - (double)k / n);
    }
    return sum;
}

/* errors of order h^2 and h^4 taken out of numbers for h, h/2, h/4 */
static double limit_of(double a, double b, double c)
{
    double u = b + (b - a) / 3, v = c + (c - b) / 3;
    return v + (v - u) / 15;
}

/* ---- The exact well ------------------------------------------------------------------------- */

/* backwards -- path [n + 1] of the chain of two_ways, drawn from its end. */
static void backwards(int kind, int n, double from, double to, fd_rng r, double *path)
{
    fd_real u[MOST];
    fd_uniform(r, n, u);
    path[0] = from, path[n] = to;
    for (int k = n - 1; k > 0; k--) {
        static double c[CELLS];
        double sum = 0, want;
        int i = 0;
        for (int j = 0; j < CELLS; j++)
            c[j] = sum += ahead[k][j] * kernel(kind, horizon / n, place(j), path[k + 1]);
        want = (double)u[k] * sum;
        while (i < CELLS - 1 && c[i] < want) i++;
        path[k] = place(i) + gap * ((want - (i ? c[i - 1] : 0)) / (c[i] - (i ? c[i - 1] : 0)) - .5);
    }
}

static double action(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                     fd_arena scratch)
{
    double sum = 0, h = horizon / (double)(s->points + 1);
    (void)self, (void)scratch, (void)g;
    for (ptrdiff_t i = 0; i < s->points; i++) sum += h * psi((double)x[i]);
    return sum;
}

static void well(void)
{
    /* mean and deviation at .5, 1, 1.5, 2: of the chain of 128 steps to 5 digits, and of continuous
     * time */
    static const double chain[4][2] = { { -.77163, .46949 }, { -.51889, .70889 },
                                        { -.25897, .83586 }, { 0, .87466 } };
    static const double limit[4][2] = { { -.769465, .46868 }, { -.517193, .706977 },
                                        { -.258065, .833429 }, { 0, .872067 } };
    double m[3][5][3], wiener = exp(-.5) / sqrt(2 * acos(-1) * horizon), logZ[3], back[3];
    for (int g = 2; g >= 0; g--) {
        const int n = 128 << g;
        double ends = exp(-horizon / n * psi(1));                   /* half at either end */
        double Z = two_ways(WIENER, n, horizon, -1, 1);
        logZ[g] = log(Z * ends / wiener);
        if (!g) NEAR(Z, .368998288153, 1e-11, "density of the end, 128 steps");
        for (int k = 1; k < 5; k++) marginal(k * n / 8, m[g][k], NULL);
    }
    for (int k = 1; k < 5; k++) {
        NEAR(m[0][k][0], chain[k - 1][0], 5.1e-6, "mean of the chain at %g", k * .5);
        NEAR(m[0][k][1], chain[k - 1][1], 5.1e-6, "deviation of the chain at %g", k * .5);
        for (int j = 0; j < 2; j++)
            NEAR(limit_of(m[0][k][j], m[1][k][j], m[2][k][j]), limit[k - 1][j], 1e-6,
                 "%s in continuous time at %g", j ? "deviation" : "mean", k * .5);
        marginal(128 - 16 * k, back, NULL);
        NEAR(back[0], -m[0][k][0], 1e-12, "the way back mirrors the way: mean at %g",
             4 - k * .5);
        NEAR(back[1], m[0][k][1], 1e-12, "and deviation");
    }
    NEAR(m[0][4][2], .204752222, 1e-8, "P(|X_2| < .5), 128 steps");
    NEAR(limit_of(m[0][4][2], m[1][4][2], m[2][4][2]), .20677882, 1e-6, "in continuous time");
    NEAR(limit_of(logZ[0], logZ[1], logZ[2]), 1.15112734, 1e-5, "log Z in continuous time");
    OK(fabs(logZ[0] - 1.15112734) > .02, "128 steps are not continuous time: %g", logZ[0]);
}

static void paths(void)
{
    enum { N = 128, CHAINS = 48, STEPS = 3000 };
    static const double b[3] = { .1, .2, .3 }, rate[3] = { .5938, .3338, .1932 };
    static double path[CHAINS][N + 1];
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    double T = horizon, lam[3] = { 0, 0, 0 };
    fd_space s = fd_grid(&a, 1, (int[]){ N - 1 }, &T, (int[]){ FD_DIRICHLET }, 1);
    fd_cov *bridge = fd_cov_bridge(&a, &s, 1);
    fd_real line[N - 1], x[N - 1];
    /* at the nodes min(s, t) - st/T, exactly */
    for (int k = 0; bridge && k < N - 1; k++) {
        double w = 2 * (N / T) * sin(acos(-1) * (k + 1) / (2 * N));
        bridge->lam[k] = 1 / (w * w);
    }
    for (int i = 0; i < N - 1; i++) line[i] = (fd_real)(-1 + 2. * (i + 1) / N);
    two_ways(WIENER, N, horizon, -1, 1);
    for (int c = 0; c < CHAINS; c++) {
        backwards(WIENER, N, -1, 1, fd_stream(fd_seed(11), 'p', (uint32_t)c), path[c]);
        lam[0] += path[c][N / 2] / CHAINS, lam[1] += path[c][N / 2] * path[c][N / 2] / CHAINS;
    }
    NEAR(lam[0], 0, 4 * .87466 / sqrt(CHAINS), "paths drawn from the end: mean in the middle");
    NEAR(sqrt(lam[1]), .87466, .25, "and deviation");
    for (int j = 0; j < 3; j++) {
        double sum = 0, sq = 0, middle = 0;
        for (int c = 0; c < CHAINS; c++) {
            fd_arena own = a;
            fd_mcmc how = { .prior = bridge, .mean = line, .phi = { action, NULL },
                            .kind = FD_MCMC_PCN, .h = b[j] };
            for (int i = 0; i < N - 1; i++) x[i] = (fd_real)path[c][i + 1];
            fd_chain *ch = fd_chain_begin(&own, &how, fd_seed(12), c, x);
            for (int k = 0; ch && k < STEPS; k++) fd_chain_step(ch, own);
            if (!ch) break;
            double u = (double)ch->accepted / STEPS;
            sum += u / CHAINS, sq += u * u / CHAINS;
            fd_chain_get(ch, x);
            middle += (double)x[N / 2 - 1] * (double)x[N / 2 - 1] / CHAINS;
        }
        double se = sqrt((sq - sum * sum) / (CHAINS - 1));
        OK(se < .02, "%g is near enough to judge", se);
        NEAR(sum, rate[j], 4 * se, "pCN on the Brownian bridge accepts, b = %g", b[j]);
        NEAR(sqrt(middle), .87466, .25, "and keeps the law, b = %g", b[j]);
    }
    OK(!st.code, "no error");
    test_free();
}

/* ---- Malliavin weights ---------------------------------------------------------------------- */

static void ou_drift(const void *self, const double *x, double t, double *y)
{
    const double *B = self;                                    /* B [2][2], beta [2] */
    (void)t;
    for (int i = 0; i < 2; i++) y[i] = B[2 * i] * x[0] + B[2 * i + 1] * x[1] + B[4 + i];
}

static void ou_noise(const void *self, const double *x, double t, double *G)
{
    static const double g[6] = { .8, .3, -.2, .1, .9, .4 };    /* [2][3] */
    (void)self, (void)x, (void)t;
    memcpy(G, g, sizeof g);
}

static const double ou[6] = { -1.7, .6, -.4, -.9, .3, -.2 };
static const fd_system linear = { 2, 3, ou_drift, ou_noise, NULL, ou };

static void well_drift(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)t;
    y[0] = pull(x[0]);
}

static void one(const void *self, const double *x, double t, double *G)
{
    (void)self, (void)x, (void)t;
    G[0] = 1;
}

static const fd_system the_well = { 1, 1, well_drift, one, NULL, NULL };

static void still(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)x, (void)t;
    y[0] = 0;
}

static void geometric(const void *self, const double *x, double t, double *G)
{
    (void)self, (void)t;
    G[0] = .4 * x[0];
}

static const fd_system gbm = { 1, 1, still, geometric, NULL, NULL };

/* The linear chain: X_T and the weight are affine in the noise, so E[y | X_T] is Cov(y, X_T)
 * Var(X_T)^-1 (X_T - mean), and must be E' Var^-1 (X_T - mean), E = (1 + B h)^N: Cov = E' */
static void weights_linear(fd_arena a)
{
    enum { N = 12 };
    const double T = 1.3, h = T / N;
    double state[3 * N + 1][2], w[3 * N + 1][2], E[4] = { 1, 0, 0, 1 }, cov[4] = { 0, 0, 0, 0 };
    for (int p = 0; p <= 3 * N; p++) {
        double z[2] = { .4, -.3 }, K[4] = { 1, 0, 0, 1 }, kick[3];
        w[p][0] = w[p][1] = 0;
        for (int k = 0; k < N; k++) {
            for (int l = 0; l < 3; l++) kick[l] = p == 3 * k + l;
            /* rates that are not all the same */
            fd_system_weight(&linear, k * h, h, (1 + cos(acos(-1) * (k + .5) / N)) / T, 1, z, kick,
                             K, w[p], a);
            fd_system_step(&linear, FD_SDE_EULER, k * h, h, 1, z, kick, a);
        }
        memcpy(state[p], z, sizeof z);
    }
    for (int k = 0; k < N; k++) {
        double M[4] = { 1 + h * ou[0], h * ou[1], h * ou[2], 1 + h * ou[3] }, Q[4];
        for (int i = 0; i < 4; i++)
            Q[i] = M[i / 2 * 2] * E[i % 2] + M[i / 2 * 2 + 1] * E[2 + i % 2];
        memcpy(E, Q, sizeof E);
    }
    for (int p = 0; p < 3 * N; p++)
        for (int i = 0; i < 4; i++)
            cov[i] += h * (w[p][i / 2] - w[3 * N][i / 2]) * (state[p][i % 2] - state[3 * N][i % 2]);
    for (int i = 0; i < 4; i++)
        NEAR(cov[i], E[i % 2 * 2 + i / 2], 1e-10, "weights of the linear chain, entry %d", i);
}

/* The well: grad_x log P(X_T in a cell | x), of the chain, from the grid */
static void weights_well(fd_arena a)
{
    enum { PATHS = 40000 };
    static double x[PATHS], J[PATHS], y[PATHS], dW[PATHS];
    enum { STEPS = 32, BINS = 6, MIDDLE = 260 };
    const double from = -.35, dt = 1. / 64;
    double hits[BINS] = { 0 }, sum[BINS] = { 0 }, sq[BINS] = { 0 };
    for (int i = 0; i < PATHS; i++) x[i] = from, J[i] = 1, y[i] = 0;
    for (int k = 0; k < STEPS; k++) {
        static fd_real xi[PATHS];
        fd_normal(fd_stream(fd_seed(21), 'w', (uint32_t)k), PATHS, xi);
        for (int i = 0; i < PATHS; i++) dW[i] = sqrt(dt) * (double)xi[i];
        fd_system_weight(&the_well, k * dt, dt, 2, PATHS, x, dW, J, y, a);
        fd_system_step(&the_well, FD_SDE_EULER, k * dt, dt, PATHS, x, dW, a);
    }
    for (int i = 0; i < PATHS; i++) {
        int k = (int)floor((x[i] + 1.5) / .5);
        if (k < 0 || k >= BINS) continue;
        hits[k]++, sum[k] += y[i], sq[k] += y[i] * y[i];
    }
    for (int k = 0; k < BINS; k++) {
        double f[CELLS], next[CELLS], lo = -1.5 + .5 * k, slope = 0, mass = 0;
        double se = sqrt((sq[k] / hits[k] - pow(sum[k] / hits[k], 2)) / hits[k]);
        for (int i = 0; i < CELLS; i++)                        /* the ends are nodes: halves */
            f[i] = fabs(place(i) - lo) < gap / 2 || fabs(place(i) - lo - .5) < gap / 2 ? .5
                 : place(i) > lo && place(i) < lo + .5;
        for (int step = 1; step < STEPS; step++) {
            for (int i = 0; i < CELLS; i++) {
                next[i] = 0;
                int at = (int)((place(i) + dt * pull(place(i)) + edge) / gap);
                for (int j = at > MIDDLE ? at - MIDDLE : 0; j < CELLS && j < at + MIDDLE; j++)
                    if (f[j] > 0) next[i] += gap * f[j] * kernel(EULER, dt, place(i), place(j));
            }
            memcpy(f, next, sizeof f);
        }
        for (int j = 0; j < CELLS; j++) {
            double d = place(j) - from - dt * pull(from), p = kernel(EULER, dt, from, place(j));
            mass += gap * f[j] * p;
            slope += gap * f[j] * p * d / dt * (1 + dt * (4 - 12 * from * from));
        }
        OK(hits[k] > 500 && se < .1, "paths that end in %g: %g", lo, hits[k]);
        NEAR(sum[k] / hits[k], slope / mass, 4 * se, "mean weight of those that end in %g", lo);
    }
}

/* Noise that depends on the state: grad_x log p of geometric Brownian motion, in the limit */
static void weights_geometric(fd_arena a)
{
    enum { PATHS = 40000 };
    static double x[PATHS], J[PATHS], y[PATHS], dW[PATHS];
    double fine[2];
    for (int g = 0; g < 2; g++) {
        const int n = g ? 64 : 16;
        double here = 0, pairs = 0, var = 0;
        for (int i = 0; i < PATHS; i++) x[i] = 1, J[i] = 1, y[i] = 0;
        for (int k = 0; k < n; k++) {
            static fd_real xi[PATHS];
            fd_normal(fd_stream(fd_seed(22), 'w', (uint32_t)k), PATHS, xi);
            for (int i = 0; i < PATHS; i++) dW[i] = (double)xi[i] / sqrt(n);
            fd_system_weight(&gbm, 0, 1. / n, 1, PATHS, x, dW, J, y, a);
            fd_system_step(&gbm, FD_SDE_EULER, 0, 1. / n, PATHS, x, dW, a);
        }
        /* log X_T ~ N(log x - .08, .16): the score in x is (log X_T + .08)/.16 at x = 1 */
        for (int i = 0; i < PATHS; i++) {
            double v = (log(x[i]) + .08) / .4, e = y[i] * v;
            here += e / PATHS, pairs += e * e / PATHS, var += v * v / PATHS;
        }
        fine[g] = fabs(here / var - 1 / .4);
        NEAR(here / var, 1 / .4, 4 * sqrt((pairs - here * here) / PATHS) + 2. / n,
             "slope of the weights of geometric noise, %d steps", n);
    }
    OK(fine[1] < .08, "and near at 64 steps: %g after %g", fine[1], fine[0]);
}

static void weights(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    weights_linear(a);
    /* One step of constant noise, any drift: y is the score of N(x + f h, h) in x */
    double u = .3, kick = .21, K = 1, one_y = 0;
    fd_system_weight(&the_well, 0, .1, 10, 1, &u, &kick, &K, &one_y, a);
    NEAR(one_y, (1 + .1 * (4 - 12 * .09)) * .21 / .1, 1e-9, "one step of the well");
    NEAR(K, 1 + .1 * (4 - 12 * .09), 1e-10, "and its derivative");

    weights_well(a);
    weights_geometric(a);
    OK(!st.code, "no error");
    double none = 0;
    fd_system_weight(&gbm, 0, .1, 1, 1, &none, &kick, &K, &one_y, a);
    OK(st.code == FD_EDATA, "no weight where there is no noise");
    test_free();
}

/* ---- Guided proposals ----------------------------------------------------------------------- */

/* h~ solves its equation: d/dt log h + (Bx + beta).r + tr[S (rr' - H)]/2 = 0, by differences */
static void proposals_equation(fd_arena a)
{
    const double end[2] = { .5, .8 }, x0[2] = { -.4, .6 }, soft[4] = { .05, .01, .01, .08 };
    for (int noisy = 0; noisy < 2; noisy++) {
        double h = 1e-3, T[5] = { .3 - h, .3, .3 + h, .9, 1.3 }, G[6], r[2], sum;
        fd_proposal how = { &linear, 4, T, ou, ou + 4, NULL, end, noisy ? soft : NULL,
                            FD_PROPOSAL_INTEGRAL, NULL, NULL, NULL, 0, NULL, NULL, NULL };
        fd_proposal *g = fd_proposal_new(&a, &how);
        OK(g, "a proposal for the linear system");
        if (!g) break;
        ou_noise(NULL, x0, 0, G);
        for (int i = 0; i < 2; i++) {
            r[i] = g->v[2 + i] - g->H[4 + 2 * i] * x0[0] - g->H[4 + 2 * i + 1] * x0[1];
            double two[2][2] = { { x0[0], x0[1] }, { x0[0], x0[1] } };
            two[0][i] += h, two[1][i] -= h;
            NEAR(r[i], (fd_proposal_log(g, 1, two[0]) - fd_proposal_log(g, 1, two[1])) / (2 * h),
                 1e-9, "r is the gradient of log h~, %d", i);
        }
        sum = (fd_proposal_log(g, 2, x0) - fd_proposal_log(g, 0, x0)) / (2 * h);
        for (int i = 0; i < 2; i++) {
            sum += r[i] * (ou[2 * i] * x0[0] + ou[2 * i + 1] * x0[1] + ou[4 + i]);
            for (int j = 0; j < 2; j++)
                for (int l = 0; l < 3; l++)
                    sum += .5 * G[3 * i + l] * G[3 * j + l] * (r[i] * r[j] - g->H[4 + 2 * i + j]);
        }
        NEAR(sum, 0, 2e-5, "h~ solves its equation%s", noisy ? ", end with noise" : "");
    }
    /* the scalar case in closed form */
    {
        const double B = -1.7, beta = .4, S = .8, tau = .9;
        double T[2] = { .4, 1.3 }, E = exp(B * tau), m = E * x0[0] + beta * expm1(B * tau) / B;
        double V = S * expm1(2 * B * tau) / (2 * B);
        fd_proposal how = { &the_well, 1, T, &B, &beta, &S, end, NULL, FD_PROPOSAL_CHAIN, NULL,
                            NULL, NULL, 0, NULL, NULL, NULL };
        fd_proposal *g = fd_proposal_new(&a, &how);
        if (g) NEAR(fd_proposal_log(g, 0, x0),
                    -.5 * pow(end[0] - m, 2) / V - .5 * log(2 * acos(-1) * V), 1e-13,
                    "log h~ of an Ornstein-Uhlenbeck process");
    }
}

/* the linear system under its own proposal: int G = 0; the chain's density in closed form */
static void proposals_linear(fd_arena a)
{
    enum { K = 64, PATHS = 2000 };
    static double t[K + 1], z[PATHS][K * 3], path[PATHS][(K + 1) * 2], logw[PATHS];
    const double end[2] = { .5, .8 }, x0[2] = { -.4, .6 }, soft[4] = { .05, .01, .01, .08 };
    fd_real xi[K * 3];
    for (int k = 0; k <= K; k++) t[k] = 1.3 * ((double)k / K + .04 * sin(2 * acos(-1) * k / K));
    for (int i = 0; i < PATHS; i++) {
        fd_normal(fd_stream(fd_seed(31), 'z', (uint32_t)i), K * 3, xi);
        for (int k = 0; k < K * 3; k++) z[i][k] = (double)xi[k];
    }
    for (int noisy = 0; noisy < 2; noisy++) {
        fd_proposal how = { &linear, K, t, ou, ou + 4, NULL, end, noisy ? soft : NULL,
                            FD_PROPOSAL_INTEGRAL, NULL, NULL, NULL, 0, NULL, NULL, NULL };
        fd_proposal *g = fd_proposal_new(&a, &how);
        double worst = 0, m[2] = { x0[0], x0[1] }, C[4] = { 0, 0, 0, 0 }, G[6], ess, Q[4];
        for (int i = 0; i < PATHS; i++) memcpy(path[i], x0, sizeof x0);
        fd_proposal_path(g, PATHS, z[0], path[0], logw, a);
        for (int i = 0; i < PATHS; i++) worst = fmax(worst, fabs(logw[i]));
        OK(worst < 1e-9 && !a.st->code, "the linear system's paths count the same: %g", worst);
        OK(noisy || (path[7][2 * K] == end[0] && path[7][2 * K + 1] == end[1]), "and end there");
        if (!g) break;
        g->weight = FD_PROPOSAL_CHAIN;
        fd_proposal_path(g, PATHS, z[0], path[0], logw, a);
        double got = fd_proposal_log(g, 0, x0) + fd_proposal_mean(PATHS, logw, &ess);
        ou_noise(NULL, x0, 0, G);
        for (int k = 0; k < K; k++) {
            double h = t[k + 1] - t[k], u = m[0], f[2];
            const double M[4] = { 1 + h * ou[0], h * ou[1], h * ou[2], 1 + h * ou[3] };
            ou_drift(ou, m, 0, f);
            m[0] = u + h * f[0], m[1] += h * f[1];
            for (int i = 0; i < 4; i++)
                Q[i] = M[i / 2 * 2] * C[i % 2] + M[i / 2 * 2 + 1] * C[2 + i % 2];
            for (int i = 0; i < 4; i++) {
                C[i] = Q[i / 2 * 2] * M[i % 2 * 2] + Q[i / 2 * 2 + 1] * M[i % 2 * 2 + 1];
                for (int l = 0; l < 3; l++) C[i] += h * G[i / 2 * 3 + l] * G[i % 2 * 3 + l];
            }
        }
        for (int i = 0; i < 4 && noisy; i++) C[i] += soft[i];
        double det = C[0] * C[3] - C[1] * C[2], d0 = end[0] - m[0], d1 = end[1] - m[1];
        double want = -.5 * (C[3] * d0 * d0 - 2 * C[1] * d0 * d1 + C[0] * d1 * d1) / det
                    - log(2 * acos(-1)) - .5 * log(det);
        NEAR(got, want, 4 * sqrt((PATHS / ess - 1) / PATHS) + 1e-12,
             "density of the chain's end by weights%s", noisy ? ", end with noise" : "");
        OK(ess > .5 * PATHS, "of nearly equal weights: %g", ess);
    }
}

/* The well from -1 to 1 in the time 2 */
static void proposals_well(fd_arena own)
{
    enum { K = 64 };
    double t[K + 1];
    enum { WIDE = 8000 };
    const double T = 2, start = -1, goal = 1;
    double *zs = fd_raw(&own, double, WIDE * K), *xs = fd_raw(&own, double, WIDE * (K + 1));
    double *lw = fd_raw(&own, double, WIDE), p[CELLS], m[3], ess;
    fd_real *draw = fd_raw(&own, fd_real, WIDE * K);
    fd_normal(fd_seed(32), WIDE * K, draw);
    for (int i = 0; draw && i < WIDE * K; i++) zs[i] = (double)draw[i];
    for (int k = 0; k <= K; k++) t[k] = T * k / K;
    double exact = two_ways(EULER, K, T, start, goal);
    marginal(K / 2, m, p);
    fd_proposal how = { &the_well, K, t, NULL, NULL, NULL, &goal, NULL, FD_PROPOSAL_CHAIN, NULL,
                        NULL, NULL, 0, NULL, NULL, NULL };
    fd_proposal *g = fd_proposal_new(&own, &how);
    for (int i = 0; lw && i < WIDE; i++) xs[i * (K + 1)] = start;
    fd_proposal_path(g, WIDE, zs, xs, lw, own);
    double like = fd_proposal_log(g, 0, &start) + fd_proposal_mean(WIDE, lw, &ess);
    NEAR(exp(like) / exact, 1, 4 * sqrt((WIDE / ess - 1) / WIDE),
         "density of the chain's end by guided proposals");
    /* marginal in the middle: weighted, and by a chain on the noise */
    double top = fd_proposal_mean(WIDE, lw, NULL) + log(WIDE), sum[2] = { 0, 0 };
    for (int i = 0; lw && i < WIDE; i++) {
        double c = exp(lw[i] - top), u = xs[i * (K + 1) + K / 2];
        sum[0] += c * u, sum[1] += c * u * u;
    }
    NEAR(sum[0], m[0], 4 * m[1] / sqrt(ess), "weighted mean in the middle");
    NEAR(sqrt(sum[1] - sum[0] * sum[0]), m[1], 4 * m[1] / sqrt(2 * ess), "and deviation");
    enum { CHAINS = 64, MOVES = 1600, EVERY = 8 };
    double *kept = fd_raw(&own, double, CHAINS * MOVES / EVERY), mean = 0, spread = 0, moved = 0;
    int n = 0;
    for (int c = 0; kept && c < CHAINS; c++) {
        double *zc = zs + c * K, *xc = xs + c * (K + 1), here = 0;
        for (int k = 0; k < MOVES + MOVES / 4; k++) {
            moved += fd_proposal_move(g, .5, fd_stream(fd_seed(33), 'c', (uint32_t)c), (uint32_t)k,
                                      zc, xc, lw + c, own);
            if (k >= MOVES / 4 && k % EVERY == 0) kept[n++] = xc[K / 2], here += xc[K / 2];
        }
        here *= (double)EVERY / MOVES;
        mean += here / CHAINS, spread += here * here / CHAINS;
    }
    double error = sqrt((spread - mean * mean) / CHAINS);
    OK(error < .08 && moved > .1 * CHAINS * MOVES, "the chains move: error %g, moved %g", error,
       moved / (1.25 * CHAINS * MOVES));
    NEAR(mean, m[0], 4 * error, "mean of the chains in the middle");
    if (n) OK(apart(n, kept, p) < .05 + 2 * error, "W1 of the chains to the exact marginal: %g",
              apart(n, kept, p));
}

/* the weights of continuous time: 256 steps, of which the error is of order h, and 1024 */
static void proposals_continuous(fd_status *st)
{
    const double T = 2, start = -1, goal = 1;
    double limit[2];
    for (int j = 0; j < 2; j++)
        limit[j] = two_ways(WIENER, 256 << j, T, start, goal) * exp(-T / (256 << j) * psi(1));
    const double exact = limit[1] + (limit[1] - limit[0]) / 3;
    for (int j = 0; j < 2; j++) {
        enum { FEW = 3000 };
        const int steps = j ? 1024 : 256;
        fd_arena room = test_arena((size_t)128 << 20, st);
        double *zj = fd_raw(&room, double, FEW * steps), part[FEW], like, ess, error2;
        double *xj = fd_raw(&room, double, FEW * (steps + 1)), *time = fd_raw(&room, double, 1025);
        fd_real *more = fd_raw(&room, fd_real, FEW * steps);
        fd_normal(fd_seed(34), FEW * steps, more);
        for (int i = 0; more && i < FEW * steps; i++) zj[i] = (double)more[i];
        for (int i = 0; xj && i < FEW; i++) xj[i * (steps + 1)] = start;
        for (int k = 0; time && k <= steps; k++) time[k] = T * k / steps;
        fd_proposal how = { &the_well, steps, time, NULL, NULL, NULL, &goal, NULL,
                            FD_PROPOSAL_INTEGRAL, NULL, NULL, NULL, 0, NULL, NULL, NULL };
        fd_proposal *f = fd_proposal_new(&room, &how);
        fd_proposal_path(f, FEW, zj, xj, part, room);
        like = fd_proposal_log(f, 0, &start) + fd_proposal_mean(FEW, part, &ess);
        error2 = sqrt((FEW / ess - 1) / FEW);
        NEAR(exp(like) / exact, 1, 4 * error2 + (j ? .04 : .16),
             "density in continuous time, %d steps", steps);
        OK(ess > .1 * FEW, "of many paths: %g", ess);
    }
}

/* S must be Sigma at the end: of Brownian motion with S = 1.44 the deviation of int G grows */
static void proposals_off(fd_status *st)
{
    double grown[2];
    for (int j = 0; j < 2; j++) {
        enum { FEW = 1000 };
        const int steps = j ? 2000 : 200;
        const double S = 1.44, zero = 0;
        fd_arena room = test_arena((size_t)64 << 20, st);
        double *time = fd_raw(&room, double, steps + 1), *zj = fd_raw(&room, double, FEW * steps);
        double *xj = fd_new(&room, double, FEW * (steps + 1)), part[FEW], first = 0, second = 0;
        fd_real *more = fd_raw(&room, fd_real, FEW * steps);
        fd_normal(fd_seed(34), FEW * steps, more);
        for (int i = 0; more && i < FEW * steps; i++) zj[i] = (double)more[i];
        for (int k = 0; time && k <= steps; k++) time[k] = (double)k / steps;
        fd_system wiener = { 1, 1, still, one, NULL, NULL };
        fd_proposal off = { &wiener, steps, time, NULL, NULL, &S, &zero, NULL,
                            FD_PROPOSAL_INTEGRAL, NULL, NULL, NULL, 0, NULL, NULL, NULL };
        fd_proposal_path(fd_proposal_new(&room, &off), FEW, zj, xj, part, room);
        for (int i = 0; i < FEW; i++) first += part[i] / FEW, second += part[i] * part[i] / FEW;
        grown[j] = sqrt(second - first * first);
        off.S = NULL;
        fd_proposal_path(fd_proposal_new(&room, &off), FEW, zj, xj, part, room);
        for (int i = 0; i < FEW; i++) first = fmax(fabs(part[i]), i ? first : 0);
        NEAR(first, 0, 1e-9, "with S NULL it is 0, %d steps", steps);
    }
    OK(grown[0] > .9 && grown[1] > 1.2 * grown[0], "the wrong S: deviation %g, then %g", grown[0],
       grown[1]);
}

static void proposals(void)
{
    const double start = -1, goal = 1;
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    proposals_equation(a), proposals_linear(a);
    test_free();
    proposals_well(test_arena((size_t)64 << 20, &st));
    proposals_continuous(&st);
    proposals_off(&st);
    OK(!st.code, "no error");

    fd_arena own = test_arena(1 << 20, &st);
    static const struct { int steps, weight; double first, S; const char *what; } bad[] = {
        { 0, 1, 0, 1, "no steps" }, { 2, 3, 0, 1, "no such weight" }, { 2, 1, 2, 1, "times fall" },
        { 2, 1, 0, -1, "a negative variance" },
    };
    for (int i = 0; i < 4; i++) {
        double when[3] = { bad[i].first, 1, 2 };
        fd_proposal no = { &the_well, bad[i].steps, when, NULL, NULL, &bad[i].S, &goal, NULL,
                           bad[i].weight, NULL, NULL, NULL, 0, NULL, NULL, NULL };
        OK(!fd_proposal_new(&own, &no) && st.code == (i < 3 ? FD_EARG : FD_EDATA), "%s",
           bad[i].what);
        st.code = FD_OK;
    }
    double far[4] = { 40, 0, 0, 0 }, when[4] = { 0, 1, 2, 3 }, was = 7, zs[3];
    fd_proposal long_steps = { &the_well, 3, when, NULL, NULL, NULL, &goal, NULL, FD_PROPOSAL_CHAIN,
                               NULL, NULL, NULL, 0, NULL, NULL, NULL };
    for (int i = 0; i < 3; i++) zs[i] = 1e200;
    fd_proposal_path(fd_proposal_new(&own, &long_steps), 1, zs, far, &was, own);
    OK(st.code == FD_ENAN && was == 7, "a path that is not finite is said, and has no weight");
    st.code = FD_OK;
    fd_proposal_path(NULL, 1, zs, far, &was, own);
    OK(!st.code && isnan(fd_proposal_log(NULL, 0, &start)), "of no proposal there are no paths");
    test_free();
}

/* ---- Learned time reversal ------------------------------------------------------------------ */

enum { CHAIN = 256, ROWS = 24, PAIRS = ROWS * CHAIN };
/* best -- E[target | x'] at the nodes after k steps of Euler's chain: what a network should say.
 * least: the mean squared error that it then has, of all pairs of neighbours of a path. */
static double best[CHAIN + 1][CELLS], least;

static void best_answer(void)
{
    const double h = horizon / CHAIN;
    two_ways(EULER, CHAIN, horizon, -1, 1);
    least = 0;
    for (int k = 2; k <= CHAIN; k++) {                          /* k = 1: known, x = -1 */
        double rest = 0, mass = 0;
        for (int j = 0; j < CELLS; j++) {
            double sum = 0, sq = 0, p = 0;
            for (int i = 0; i < CELLS; i++) {
                double d = place(j) - place(i) - h * pull(place(i)), u = (place(i) - place(j)) / h;
                if (d * d > 72 * h) continue;
                double w = ahead[k - 1][i] * exp(-d * d / (2 * h));
                p += w, sum += w * u, sq += w * u * u;
            }
            best[k][j] = p > 0 ? sum / p : 0;
            mass += p, rest += p > 0 ? sq - sum * sum / p : 0;
        }
        least += rest / mass / CHAIN;
    }
    for (int j = 0; j < CELLS; j++) best[1][j] = -(place(j) + 1) / h;
}

/* says -- the reversed drift by the network at n numbers x at time t: what it adds to that of a
 * Brownian bridge to -1. */
static void says(const fd_net *net, int n, const double *x, double t, double *y, fd_arena a)
{
    double *time = fd_raw(&a, double, n);
    fd_real *in = fd_raw(&a, fd_real, n);
    fd_space s = fd_grid(&a, 1, (int[]){ 1 }, NULL, NULL, 1);
    for (int i = 0; in && i < n; i++) time[i] = t, in[i] = (fd_real)x[i];
    fd_tape tape = fd_tape_begin(&a, FD_EVAL);
    fd_var *u = fd_forward(net, &tape, &s, fd_input(&tape, 3, (int[]){ n, 1, 1 }, in), time);
    for (int i = 0; u && i < n; i++) y[i] = (double)u->x[i] - (x[i] + 1) / t;
}

/* pairs -- a path of ROWS wells: x after each step, and the targets. */
static void pairs(int number, double x[PAIRS], double y[PAIRS], fd_arena a)
{
    static fd_real xi[PAIRS];
    const double h = horizon / CHAIN;
    double from[ROWS], dW[ROWS];
    fd_normal(fd_stream(fd_seed(42), 'w', (uint32_t)number), PAIRS, xi);
    for (int i = 0; i < ROWS; i++) from[i] = -1;
    for (int k = 0; k < CHAIN; k++) {
        double *to = x + k * ROWS;
        for (int i = 0; i < ROWS; i++) dW[i] = sqrt(h) * (double)xi[k * ROWS + i];
        memcpy(to, from, sizeof from);
        fd_system_step(&the_well, FD_SDE_EULER, k * h, h, ROWS, to, dW, a);
        fd_system_target(&the_well, FD_REVERSAL_DRIFT, k * h, h, ROWS, from, to, y + k * ROWS, a);
        memcpy(from, to, sizeof from);
    }
}

static fd_net *reversal(fd_arena *a, int steps)
{
    static double x[PAIRS], y[PAIRS], time[PAIRS];
    static fd_real in[PAIRS], want[PAIRS];
    fd_arch arch = { .kind = FD_SIREN, .nd = 1, .in = 1, .out = 1, .width = 24, .layers = 3,
                     .time = FD_TIME_CHANNEL, .tscale = 1 / horizon, .inr.omega = 4 };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 5e-3, adam.warmup = 10, adam.steps = steps, adam.clip = 1, adam.ema = .98;
    fd_net *net = fd_net_new(a, &arch, fd_seed(41));
    fd_opt *opt = fd_opt_new(a, net, &adam);
    fd_space s = fd_grid(a, 1, (int[]){ 1 }, NULL, NULL, 1);
    for (int step = 0; step < steps && !a->st->code; step++) {
        pairs(step, x, y, *a);
        for (int i = 0; i < PAIRS; i++) {
            time[i] = horizon * (i / ROWS + 1) / CHAIN;
            in[i] = (fd_real)x[i], want[i] = (fd_real)(y[i] + (x[i] + 1) / time[i]);
        }
        fd_tape tape = fd_tape_begin(a, FD_GRAD);
        fd_var *u = fd_input(&tape, 3, (int[]){ PAIRS, 1, 1 }, in);
        fd_backward(&tape, fd_mse_loss(&tape, &s, fd_forward(net, &tape, &s, u, time), want, NULL));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a->st);
    }
    return opt ? fd_net_with(a, net, opt->avg) : NULL;
}

/* Its squared error on pairs that training has not seen, less that of the best answer: far. */
static void fresh_pairs(const fd_net *net, double far, fd_arena a)
{
    enum { FRESH = 20 };
    static double u[PAIRS], v[PAIRS], w[PAIRS];
    const double h = horizon / CHAIN;
    double more = 0, sq = 0, floor_got = 0;
    for (int f = 0; f < FRESH && net; f++) {
        double sum = 0;
        pairs(100000 + f, u, v, a);
        for (int k = 1; k < CHAIN; k++) {
            says(net, ROWS, u + k * ROWS, (k + 1) * h, w, a);
            for (int i = 0; i < ROWS; i++) {
                int j = k * ROWS + i, c = (int)((u[j] + edge) / gap);
                double b = best[k + 1][c];
                b += ((u[j] + edge) / gap - c) * (best[k + 1][c + 1] - b);
                sum += (pow(w[i] - v[j], 2) - pow(b - v[j], 2)) / PAIRS;
                floor_got += pow(b - v[j], 2) / PAIRS / FRESH;
            }
        }
        more += sum / FRESH, sq += sum * sum / FRESH;
    }
    double se = sqrt((sq - more * more) / (FRESH - 1));
    NEAR(floor_got, least, 4 * least * sqrt(2. / (PAIRS * FRESH)), "the floor of the loss");
    OK(se < .02, "the loss is measured to %g", se);
    NEAR(more, far, 4 * se, "the loss is above its floor by the distance to the best answer");
    OK(more > -3 * se, "and not below it: %g", more);
}

static void learned(void)
{
    enum { PATHS = 6000 };
    static double x[CHAIN + 1][PATHS], y[PATHS];
    static fd_real xi[PATHS];
    fd_status st;
    fd_arena a = test_arena((size_t)64 << 20, &st);
    const double h = horizon / CHAIN;
    fd_net *net = reversal(&a, 360);
    best_answer();

    /* how far it is from the best answer, in the law of the chain; before training: Brownian */
    double far = 0, brownian = 0;
    for (int k = 2; k < CHAIN; k++) {
        static double at[CELLS], say[CELLS];
        double mass = 0, e[2] = { 0, 0 };
        for (int i = 0; i < CELLS; i++) at[i] = place(i);
        says(net, CELLS, at, k * h, say, a);
        for (int i = 0; i < CELLS; i++) {
            double d = say[i] - best[k][i], b = -(at[i] + 1) / (k * h) - best[k][i];
            mass += ahead[k][i], e[0] += ahead[k][i] * d * d, e[1] += ahead[k][i] * b * b;
        }
        far += e[0] / mass / CHAIN, brownian += e[1] / mass / CHAIN;
    }
    OK(far < .04 * brownian, "distance to the best answer %g of %g", far, brownian);

    fresh_pairs(net, far, a);
    for (int i = 0; i < PATHS; i++) x[CHAIN][i] = 1;
    for (int k = CHAIN; k > 0 && net; k--) {
        says(net, PATHS, x[k], k * h, y, a);
        fd_normal(fd_stream(fd_seed(43), 'r', (uint32_t)k), PATHS, xi);
        for (int i = 0; i < PATHS; i++) {
            double drift;
            fd_system_reverse(&the_well, FD_REVERSAL_DRIFT, k * h, &x[k][i], &y[i], &drift, a);
            x[k - 1][i] = x[k][i] + h * drift + (k > 1) * sqrt(h) * (double)xi[i];
        }
    }
    /* against continuous time, which 512 steps of the Brownian kernel are to 1e-3 */
    two_ways(WIENER, 2 * CHAIN, horizon, -1, 1);
    for (int k = CHAIN / 8; k < CHAIN; k += CHAIN / 8) {
        double p[CELLS], m[3], far_off;
        marginal(2 * k, m, p);
        far_off = apart(PATHS, x[k], p);
        OK(far_off < .06, "W1 to the exact marginal at %g: %g", k * h, far_off);
    }
    NEAR(x[0][0], -1, .2, "all end where they must");
    NEAR(x[0][PATHS - 1], -1, .2, "all end where they must");
    OK(!st.code, "no error");
    test_free();
}

/* ---- Noise that depends on the state -------------------------------------------------------- */

/* Geometric Brownian motion from 1 with the time 1: from x_1 = 1.3 back, log X is a Brownian bridge
 * from log 1.3 to 0 of variance .16. */
static void divergence(void)
{
    enum { N = 200, PATHS = 4000, DRAWS = 2000000 };
    static fd_real xi[PATHS], many[2][DRAWS / 4];
    static double x[2][PATHS];
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const double h = 1. / N;

    /* regression: the mean of the pull of paths that are near .625 after a step of .01 */
    double n = 0, sum = 0, sq = 0;
    for (int part = 0; part < 4; part++) {
        for (int k = 0; k < 2; k++)
            fd_normal(fd_stream(fd_seed(51), 'd', (uint32_t)(2 * part + k)), DRAWS / 4, many[k]);
        for (int i = 0; i < DRAWS / 4; i++) {
            double from = exp(-.08 * .99 + .4 * sqrt(.99) * (double)many[0][i]), to = from, y;
            double dW = .1 * (double)many[1][i];
            fd_system_step(&gbm, FD_SDE_EULER, .99, .01, 1, &to, &dW, a);
            if (fabs(to - .625) > .02) continue;
            fd_system_target(&gbm, FD_REVERSAL_PULL, .99, .01, 1, &from, &to, &y, a);
            /* Sigma s + div Sigma = -x (log x + .08) + .16 x, taken along the bin */
            y -= .16 * to - to * (log(to) + .08) - (.16 * .625 - .625 * (log(.625) + .08));
            n++, sum += y, sq += y * y;
        }
    }
    double mean = sum / n, se = sqrt((sq / n - mean * mean) / n);
    OK(n > 2e4, "paths in the bin: %g", n);
    NEAR(mean, .346054424, 4 * se + .002, "regression of the pull, step .01");
    OK(mean - .143752268 > 10 * se, "Sigma s alone is off by %g errors", (mean - .143752268) / se);

    /* the reversal, with div Sigma and without */
    for (int with = 0; with < 2; with++) {
        double m[2] = { 0, 0 };
        for (int i = 0; i < PATHS; i++) x[with][i] = 1.3;
        for (int k = N; k > N / 2; k--) {
            fd_normal(fd_stream(fd_seed(52), 'r', (uint32_t)k), PATHS, xi);
            for (int i = 0; i < PATHS; i++) {
                double X = x[with][i], s = -((log(X) + .08 * k * h) / (.16 * k * h) + 1) / X, y;
                double dW = sqrt(h) * (double)xi[i], p = .16 * X * X * s;
                /* without: as if Sigma s were all of the pull */
                if (with) fd_system_reverse(&gbm, FD_REVERSAL_SCORE, k * h, &X, &s, &y, a);
                else fd_system_reverse(&gbm, FD_REVERSAL_PULL, k * h, &X, &p, &y, a);
                x[with][i] = X + h * y + .4 * X * dW;
            }
        }
        for (int i = 0; i < PATHS; i++)
            m[0] += log(x[with][i]) / PATHS, m[1] += pow(log(x[with][i]), 2) / PATHS;
        double dev = sqrt(m[1] - m[0] * m[0]), err = dev / sqrt(PATHS);
        if (with) {
            NEAR(m[0], log(1.3) / 2, 4 * err, "mean of the reversed path in the middle");
            NEAR(dev, .2, 4 * .2 / sqrt(2. * PATHS) + .002, "and deviation");
        } else OK(fabs(m[0] - log(1.3) / 2) > 10 * err, "without div Sigma: off by %g errors",
                  fabs(m[0] - log(1.3) / 2) / err);
    }
    OK(!st.code, "no error");
    test_free();
}

/* ---- Flows of shapes ------------------------------------------------------------------------ */

enum { MARKS = 12, CENTRES = 16, MOST_D = 3 * MARKS };

/* shapes in dim dimensions, of points on an outline of few waves: the same curve for any number */
static fd_shapes shapes(int dim, int points, int waves)
{
    static double c[3][CENTRES * 3], from[2][3][2 * MARKS * 3];
    double *f = from[points == MARKS][dim - 1];
    for (int l = 0; l < CENTRES * dim; l++) c[dim - 1][l] = 1.5 * sin(1 + 2.3 * l);
    for (int p = 0; p < points; p++)
        for (int a = 0; a < dim; a++)
            f[p * dim + a] = cos(2 * acos(-1) * p / points - 1.4 * a)
                           + .2 * sin(4 * acos(-1) * p / points + a);
    return (fd_shapes){ .points = points, .dim = dim, .centres = CENTRES, .centre = c[dim - 1],
                        .size = .7, .width = .8, .waves = waves, .from = f };
}

/* The divergence by differences, and the drift of Ito's form. */
static void flows_derived(int dim, int waves, fd_arena a)
{
    double z[MOST_D], y[MOST_D], d[MOST_D], size;
    fd_shapes s = shapes(dim, MARKS, waves);
    fd_system e = fd_kunita(&a, &s), bare = e;
    const int n = waves ? 7 * dim : MARKS * dim, w = CENTRES * dim;
    OK(e.d == n && e.w == w, "%d numbers, %d noises", e.d, e.w);
    if (!e.g) return;
    for (int i = 0; i < n; i++)
        z[i] = waves ? .1 * cos(1.7 * i) : s.from[i] + .1 * sin(3. * i);
    bare.div = NULL;
    fd_system_div(&e, 0, z, y, a);
    fd_system_div(&bare, 0, z, d, a);
    size = 0;
    for (int i = 0; i < n; i++) {
        NEAR(y[i], d[i], 5e-10, "div of %d dimensions, %d waves, %d", dim, waves, i);
        size = fmax(size, fabs(y[i]));
    }
    OK(size > .05, "which is not 0: %g", size);
    /* the drift of Ito's form: sum_j (g_j . grad) g_j/2 */
    s.ito = 1;
    fd_system ito = fd_kunita(&a, &s);
    double *G = fd_raw(&a, double, n * w), *H = fd_raw(&a, double, n * w), u[MOST_D];
    if (!H) return;
    e.g(e.self, z, 0, G);
    memset(d, 0, sizeof d);
    for (int j = 0; j < w; j++)
        for (int k = 0; k < 4; k++) {
            static const double at[4] = { 1, -1, 2, -2 }, c[4] = { 8, -8, -1, 1 };
            for (int i = 0; i < n; i++) u[i] = z[i] + 1e-3 * at[k] * G[i * w + j];
            e.g(e.self, u, 0, H);
            for (int i = 0; i < n; i++) d[i] += .5 * c[k] * H[i * w + j] / 12e-3;
        }
    ito.f(ito.self, z, 0, y);
    for (int i = 0; i < n; i++)
        NEAR(y[i], d[i], 5e-10, "Stratonovich's correction, %d dimensions, %d waves, %d",
             dim, waves, i);
    e.f(e.self, z, 0, y);
    for (int i = 0; i < n; i++) OK(y[i] == 0, "no drift without it");
}

/* the formula for landmarks, as it is printed */
static void flows_landmarks(fd_arena a)
{
    double z[MOST_D], y[MOST_D];
    fd_shapes s = shapes(2, MARKS, 0);
    fd_system e = fd_kunita(&a, &s);
    for (int i = 0; i < 2 * MARKS; i++) z[i] = s.from[i];
    fd_system_div(&e, 0, z, y, a);
    for (int i = 0; i < MARKS; i++)
        for (int c = 0; c < 2; c++) {
            double sum = 0;
            for (int l = 0; l < CENTRES; l++) {
                double k[MARKS], D[MARKS], all = 0;
                for (int j = 0; j < MARKS; j++) {
                    const double *p = z + 2 * j, *q = s.centre + 2 * l;
                    k[j] = .7 * exp(-(pow(p[0] - q[0], 2) + pow(p[1] - q[1], 2)) / (2 * .64));
                    D[j] = -(p[c] - q[c]) * k[j] / .64, all += D[j];
                }
                sum += k[i] * all + k[i] * D[i];
            }
            NEAR(y[2 * i + c], sum, 1e-13, "div of landmarks, %d, %d", i, c);
        }
}

/* coefficients: of numpy's rfft, the same curve on more points, and back */
static void flows_coefficients(fd_arena a)
{
    double z[14], x[2 * MARKS], back[14];
    fd_shapes s = shapes(2, MARKS, 4);
    fd_shapes fine = shapes(2, 2 * MARKS, 4);
    fd_real one_line[MARKS];
    fd_cplx half[MARKS / 2 + 1];
    for (int i = 0; i < 14; i++) z[i] = .3 * cos(2.1 * i);
    fd_kunita_points(&s, 1, z, x);
    fd_kunita_state(&s, 1, x, back);
    for (int i = 0; i < 14; i++) NEAR(back[i], z[i], 1e-14, "points and back, %d", i);
    for (int p = 0; p < MARKS; p++) one_line[p] = (fd_real)(x[2 * p + 1] - s.from[2 * p + 1]);
    fd_rfftn(1, (int[]){ MARKS }, 1, 1. / MARKS, one_line, half, a);
    for (int k = 0; k < 4; k++) {
        NEAR((double)half[k].re, z[2 * (k ? 2 * k - 1 : 0) + 1], TOL(1e-14, 1e-6),
             "re of wave %d", k);
        if (k) NEAR((double)half[k].im, z[4 * k + 1], TOL(1e-14, 1e-6), "im of wave %d", k);
    }
    double twice[4 * MARKS];
    fd_kunita_points(&fine, 1, z, twice);
    for (int i = 0; i < 2 * MARKS; i++)
        NEAR(twice[i / 2 * 4 + i % 2], x[i], 1e-14, "the same curve on twice the points, %d", i);
}

/* flows: one noise; in Stratonovich's sense by Heun, and by Euler with the correction */
static void flows_agree(fd_arena a)
{
    enum { PATHS = 60 };
    const fd_shapes s = shapes(2, MARKS, 4), fine = shapes(2, 2 * MARKS, 4);
    double last[2] = { 0, 0 };
    for (int n = 16; n <= 64; n *= 2) {
        static double v[4][PATHS * 14], dW[PATHS][2 * CENTRES];
        double err[3] = { 0, 0, 0 };
        fd_shapes how[4] = { s, s, s, fine };
        how[1].ito = 1;
        memset(v, 0, sizeof v);
        for (int k = 0; k < n; k++) {
            for (int i = 0; i < PATHS; i++) {
                fd_real xi[64];
                for (int j = 0; j < 2 * CENTRES; j++) {
                    fd_normal(fd_stream(fd_seed(61), (uint32_t)(i + 1), (uint32_t)j), 64, xi);
                    dW[i][j] = 0;
                    for (int q = 0; q < 64 / n; q++)
                        dW[i][j] += .5 * (double)xi[k * (64 / n) + q] / 8;
                }
            }
            for (int j = 0; j < 4; j++) {
                fd_arena own = a;
                fd_system f = fd_kunita(&own, &how[j]);
                fd_system_step(&f, j == 1 || j == 2 ? FD_SDE_EULER : FD_SDE_HEUN, 0, .25 / n,
                               PATHS, v[j], dW[0], own);
            }
        }
        for (int i = 0; i < PATHS * 14; i++)
            for (int j = 0; j < 3; j++) err[j] += fabs(v[j + 1][i] - v[0][i]) / (PATHS * 14);
        if (n > 16) OK(last[0] / err[0] > 1.25, "Euler with the correction tends to Heun: %g, %g",
                       last[0], err[0]);
        if (n == 64) {
            OK(err[1] > 1.6 * err[0] && last[1] < 1.3 * err[1],
               "without it, it does not: %g, %g", last[1], err[1]);
            OK(err[2] < .1 * err[0], "one flow on %d points and on twice: %g", MARKS, err[2]);
        }
        last[0] = err[0], last[1] = err[1];
    }
}

/* Brownian shapes: Sigma is constant, so the pull of the closed-form score is -(z - z0)/t */
static void flows_brownian(fd_arena a)
{
    enum { D = 14, W = 2 * CENTRES };
    fd_shapes s = shapes(2, MARKS, 4);
    double z[D], G[D * W], L[D * D], score[D], pull[D];
    s.frozen = 1, s.ito = 1;
    const fd_system frozen = fd_kunita(&a, &s);
    if (!frozen.g) { OK(0, "%s", explain(a.st)); return; }
    for (int i = 0; i < D; i++) z[i] = .3 * cos(2.1 * i), score[i] = -z[i] / .4;
    frozen.g(frozen.self, z, 0, G);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            L[i * D + j] = 0;
            for (int l = 0; l < W; l++) L[i * D + j] += G[i * W + l] * G[j * W + l];
        }
    OK(!fd_cholesky(a.st, D, L), "Sigma of %d landmarks: %s", D / 2, explain(a.st));
    fd_solve_lower(D, L, 0, score), fd_solve_lower(D, L, 1, score);
    fd_system_reverse(&frozen, FD_REVERSAL_SCORE, .4, z, score, pull, a);
    for (int i = 0; i < D; i++)
        NEAR(pull[i], -z[i] / .4, 1e-8, "Brownian shapes go straight back, %d", i);
}

/* shapes that cannot be; without waves the state is the points */
static void flows_wrong(fd_arena a)
{
    static const double at[12] = { 0 };
    static const int want[12] = { FD_EARG, FD_EARG, FD_EARG, FD_EARG, FD_EARG, FD_ESHAPE, FD_EARG,
        FD_EARG, FD_EARG, FD_EARG, FD_EARG, FD_ESHAPE };
    const fd_shapes good = { .points = 6, .dim = 2, .centres = 1, .centre = at, .size = 1,
                             .width = 1, .from = at };
    for (int i = 0; i < 12; i++) {
        fd_shapes bad = good;
        if (i == 0) bad.points = 0;
        if (i == 1) bad.dim = 4;
        if (i == 2) bad.centre = NULL;
        if (i == 3) bad.width = 0;
        if (i == 4) bad.frozen = 1, bad.from = NULL;
        if (i == 5) bad.waves = 4;
        if (i == 6) bad.size = NAN;
        if (i == 7) bad.dim = 0;
        if (i == 8) bad.centres = 0;
        if (i == 9) bad.waves = -1;
        if (i == 10) bad.waves = 1, bad.from = NULL;
        if (i == 11) bad.waves = 33, bad.points = 100;
        OK(!fd_kunita(&a, &bad).g && a.st->code == want[i], "bad shapes, row %d: %d", i,
           a.st->code);
        a.st->code = FD_OK;
    }
    OK(fd_kunita(&a, &good).d == 12 && !a.st->code, "good ones");
    OK(!fd_kunita(&a, NULL).g && !a.st->code, "none of none");
    double state[12], again[12], point[12];
    for (int i = 0; i < 12; i++) state[i] = i * i;
    fd_kunita_points(&good, 1, state, point), fd_kunita_state(&good, 1, point, again);
    OK(!memcmp(point, state, sizeof state) && !memcmp(again, state, sizeof state),
       "without waves the state is the points");
    FD_FAIL(a.st, FD_EIO, "here", "before");
    OK(!fd_kunita(&a, &good).g && a.st->code == FD_EIO, "after a failure");
}

static void flows(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    for (int dim = 1; dim <= 3; dim++)
        for (int waves = 0; waves <= 4; waves += 4) flows_derived(dim, waves, a);
    flows_landmarks(a);
    flows_coefficients(a);
    flows_agree(a);
    flows_brownian(a);
    OK(!st.code, "no error");
    flows_wrong(a);
    test_free();
}

/* memory: a proposal and its chain, a weight and a flow, in arenas of every size */
static void starved(const void *self, fd_real *out, fd_arena a)
{
    static const double t[4] = { 0, .5, 1, 1.3 }, end[2] = { .5, .8 };
    const fd_shapes s = shapes(2, MARKS, 4);
    double z[9], path[8] = { -.4, .6 }, logw = 0, J[4] = { 1, 0, 0, 1 }, y[2] = { 0, 0 }, d[14];
    fd_proposal how = { &linear, 3, t, ou, ou + 4, NULL, end, NULL, FD_PROPOSAL_CHAIN, NULL, NULL,
                        NULL, 0, NULL, NULL, NULL };
    (void)self;
    for (int i = 0; i < 9; i++) z[i] = cos(3. * i);
    for (int i = 0; i < 14; i++) d[i] = .1 * sin(2. * i);
    fd_proposal *g = fd_proposal_new(&a, &how);
    fd_proposal_path(g, 1, z, path, &logw, a);
    fd_proposal_move(g, .1, fd_seed(71), 0, z, path, &logw, a);
    fd_system_weight(&linear, 0, .1, 1, 1, end, z, J, y, a);
    fd_system e = fd_kunita(&a, &s);
    if (e.g) fd_system_div(&e, 0, d, d, a);
    if (a.st->code) return;
    for (int i = 0; i < 8; i++) out[i] = (fd_real)path[i];
    out[8] = (fd_real)logw, out[9] = (fd_real)y[0], out[10] = (fd_real)d[3];
}

/* noisy values at several times, and a noisy end, of two coordinates that turn into each other:
 * h~ against Kalman's filter, int G = 0, and the chain's weights against the filter of Euler's
 * chain */
static void turn_f(const void *self, const double *x, double t, double *y)
{
    const double *p = self;
    (void)t;
    for (int i = 0; i < 2; i++) y[i] = p[2 * i] * x[0] + p[2 * i + 1] * x[1] + p[4 + i];
}

static void turn_g(const void *self, const double *x, double t, double *G)
{
    (void)x, (void)t;
    memcpy(G, (const double *)self + 6, 4 * sizeof *G);
}

/* a step h of the moments m and P: Euler's, or Heun's where exact is not 0 */
static void moments_step(const fd_proposal *how, double h, int exact, double m[2], double P[4])
{
    const double *B = how->B, *S = how->S, *beta = how->beta;
    double F[4] = { 1 + h * B[0], h * B[1], h * B[2], 1 + h * B[3] }, n[2], Q[4];
    if (exact) {
        F[0] += h * h / 2 * (B[0] * B[0] + B[1] * B[2]);
        F[1] += h * h / 2 * B[1] * (B[0] + B[3]);
        F[2] += h * h / 2 * B[2] * (B[0] + B[3]);
        F[3] += h * h / 2 * (B[3] * B[3] + B[1] * B[2]);
    }
    for (int i = 0; i < 2; i++) {
        double more = exact ? .5 * h * h * (B[2 * i] * beta[0] + B[2 * i + 1] * beta[1]) : 0;
        n[i] = F[2 * i] * m[0] + F[2 * i + 1] * m[1] + h * beta[i] + more;
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            double mixed = 0;
            for (int u = 0; u < 2; u++)
                for (int v = 0; v < 2; v++)
                    mixed += F[2 * i + u] * P[2 * u + v] * F[2 * j + v];
            Q[2 * i + j] = mixed + h * S[2 * i + j];
            for (int u = 0; u < 2 && exact; u++)
                Q[2 * i + j] += .5 * h * h
                    * (B[2 * i + u] * S[2 * u + j] + B[2 * j + u] * S[2 * u + i]);
        }
    memcpy(m, n, sizeof n), memcpy(P, Q, sizeof Q);
}

/* the filter: the log density of what is seen, of a start x0; many small steps stand for the exact
 * one */
static double filtered(const fd_proposal *how, const double x0[2])
{
    double m[2] = { x0[0], x0[1] }, P[4] = { 0 }, sum = 0;
    for (int k = 0; k < how->steps; k++) {
        const int parts = how->weight == FD_PROPOSAL_CHAIN ? 1 : 4000;
        const double h = (how->t[k + 1] - how->t[k]) / parts;
        for (int q = 0; q < parts; q++) moments_step(how, h, parts > 1, m, P);
        for (int q = 0; q <= how->more; q++) {
            const int last = q == how->more;
            const double *y = last ? how->end : how->values + 2 * q;
            const double *N = last ? how->gamma : how->noise + 4 * q;
            if ((last ? how->steps : how->when[q]) != k + 1) continue;
            double C[4], r[2] = { y[0] - m[0], y[1] - m[1] }, det, gain[4], R[4];
            for (int i = 0; i < 4; i++) C[i] = P[i] + N[i];
            det = C[0] * C[3] - C[1] * C[2];
            const double inv[4] = { C[3] / det, -C[1] / det, -C[2] / det, C[0] / det };
            sum -= log(2 * acos(-1)) + .5 * log(det);
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++) {
                    sum -= .5 * r[i] * inv[2 * i + j] * r[j];
                    gain[2 * i + j] = P[2 * i] * inv[j] + P[2 * i + 1] * inv[2 + j];
                }
            for (int i = 0; i < 2; i++) {
                m[i] += gain[2 * i] * r[0] + gain[2 * i + 1] * r[1];
                for (int j = 0; j < 2; j++)
                    R[2 * i + j] = P[2 * i + j] - gain[2 * i] * P[j] - gain[2 * i + 1] * P[2 + j];
            }
            memcpy(P, R, sizeof P);
        }
    }
    return sum;
}

/* Systems that lack something, and steps that cannot be: said, and nothing is written. */
static void no_systems(fd_arena a)
{
    fd_status *st = a.st;
    static const struct { int d, w, f, g; } rows[] = {
        { 0, 1, 1, 1 }, { 1, 0, 1, 1 }, { 1, 1, 0, 1 }, { 1, 1, 1, 0 }, { 1, 1, 1, 1 } };
    const double x = .5, dW = .1, next = .6;
    for (int i = 0; i < 5; i++) {
        const fd_system e = { rows[i].d, rows[i].w, rows[i].f ? still : NULL,
            rows[i].g ? one : NULL, NULL, NULL };
        const int fine = i == 4;                           /* then h and the kind are wrong */
        double y = 7, J = 7;
#define STAYS(call) \
        do { call; OK(st->code == FD_EARG && y == 7 && J == 7, "row %d, " #call ": %s", i, \
                      explain(st)); st->code = FD_OK; } while (0)
        STAYS(fd_system_step(&e, FD_SDE_EULER, 0, !fine, 1, &y, &dW, a));
        STAYS(fd_system_step(&e, fine ? FD_SDE_MILSTEIN : FD_SDE_HEUN, 0, 1, 1, &y, &dW, a));
        STAYS(fd_system_target(&e, FD_REVERSAL_SCORE, 0, !fine, 1, &x, &next, &y, a));
        STAYS(fd_system_target(&e, fine ? 0 : FD_REVERSAL_PULL, 0, 1, 1, &x, &next, &y, a));
        STAYS(fd_system_target(&e, fine ? 4 : FD_REVERSAL_DRIFT, 0, 1, 1, &x, &next, &y, a));
        STAYS(fd_system_reverse(&e, fine ? 0 : FD_REVERSAL_SCORE, 0, &x, &next, &y, a));
        STAYS(fd_system_reverse(&e, fine ? 4 : FD_REVERSAL_SCORE, 0, &x, &next, &y, a));
        STAYS(fd_system_weight(&e, 0, !fine, 0, 1, &x, &dW, &J, &y, a));
        STAYS(fd_system_weight(&e, 0, 1, fine ? NAN : 0, 1, &x, &dW, &J, &y, a));
        if (!fine) STAYS(fd_system_div(&e, 0, &x, &y, a));
#undef STAYS
    }
    const fd_system e = { 1, 1, still, one, NULL, NULL };
    double far = 1e308;
    fd_system_step(&e, FD_SDE_EULER, 0, 1, 1, &far, &(double){ INFINITY }, a);
    OK(st->code == FD_ENAN && far == 1e308, "a state that is not finite");
    st->code = FD_OK;
}

/* x' = B x + beta with a noise of all directions, seen at three times between and at the end */
enum { SEEN = 3, SEEN_STEPS = 26 };
static const double seen_prm[10] = { -1.1, .8, -.5, -.7, .2, -.1, .9, .1, -.2, .7 };
static const double seen_end[2] = { .4, -.3 }, seen_gamma[4] = { .3, .1, .1, .2 };
static const double seen_values[2 * SEEN] = { .5, .1, -.3, .6, .2, .2 };
static const double seen_noise[4 * SEEN] = { .2, 0, 0, .4, .5, -.1, -.1, .3, .1, 0, 0, .1 };
static const int seen_when[SEEN] = { 5, 6, 20 };
static const fd_system turning = { 2, 2, turn_f, turn_g, NULL, seen_prm };

/* its proposal, which is the process itself; t [SEEN_STEPS + 1] and S [4] are what it points to */
static fd_proposal seen_proposal(double *t, double *S)
{
    const double *g = seen_prm + 6;
    for (int k = 0; k <= SEEN_STEPS; k++)
        t[k] = 1.3 * k / SEEN_STEPS + .05 * sin(acos(-1) * k / SEEN_STEPS);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            S[2 * i + j] = g[2 * i] * g[2 * j] + g[2 * i + 1] * g[2 * j + 1];
    return (fd_proposal){ .e = &turning, .steps = SEEN_STEPS, .t = t, .B = seen_prm,
                          .beta = seen_prm + 4, .S = S, .end = seen_end, .gamma = seen_gamma,
                          .weight = FD_PROPOSAL_INTEGRAL, .more = SEEN, .when = seen_when,
                          .values = seen_values, .noise = seen_noise };
}

static void several(void)
{
    enum { K = SEEN_STEPS, PATHS = 20000 };
    const double x0[2] = { .4, .1 };
    fd_status st;
    fd_arena a = test_arena((size_t)48 << 20, &st);
    double t[K + 1], S[4], ess;
    double *z = fd_raw(&a, double, PATHS * K * 2), *path = fd_raw(&a, double, PATHS * (K + 1) * 2);
    double *logw = fd_raw(&a, double, PATHS);
    fd_real *lots = normals(&a, 5, PATHS * K * 2);
    fd_proposal how = seen_proposal(t, S);
    for (int i = 0; i < PATHS * K * 2 && lots; i++) z[i] = (double)lots[i];
    for (int weight = FD_PROPOSAL_INTEGRAL; weight <= FD_PROPOSAL_CHAIN; weight++) {
        how.weight = weight;
        fd_proposal *p = fd_proposal_new(&a, &how);
        OK(p && !st.code, "values at several times: %s", st.code ? st.what : "");
        if (!p) return;
        const double sum = filtered(&how, x0);
        for (int i = 0; i < PATHS; i++) memcpy(path + (ptrdiff_t)i * (K + 1) * 2, x0, sizeof x0);
        fd_proposal_path(p, PATHS, z, path, logw, a);
        double mean = 0, sq = 0;
        for (int i = 0; i < PATHS; i++)
            mean += exp(logw[i]) / PATHS, sq += exp(2 * logw[i]) / PATHS;
        double like = fd_proposal_log(p, 0, x0) + fd_proposal_mean(PATHS, logw, &ess);
        if (weight == FD_PROPOSAL_INTEGRAL) {
            NEAR(fd_proposal_log(p, 0, x0), sum, 1e-7, "h~ of values at several times");
            NEAR(sq - 1, 0, 1e-10, "int G of the linear process itself");
        } else
            NEAR(exp(like - sum), 1, 4.5 * sqrt((sq / mean / mean - 1) / PATHS),
                 "likelihood of Euler's chain, ESS %.0f", ess);
        OK(!st.code, "several: %s", st.code ? st.what : "");
    }
    test_free();
}

/* proposals that lack something, or whose values stand where none can */
static void wrong_proposals(fd_arena a)
{
    static const int end[1] = { SEEN_STEPS }, one[1] = { 1 }, twice[2] = { 2, 2 }, never[1] = { 0 };
    const double endless[2] = { 0, INFINITY };
    const fd_system empty = { 2, 2, NULL, turn_g, NULL, seen_prm };
    double t[SEEN_STEPS + 1], far[SEEN_STEPS + 1], S[4], kept[3] = { 7, 7, 7 };
    fd_status *st = a.st;
    fd_proposal fine = seen_proposal(t, S);
    fine.B = fine.beta = NULL, fine.more = 1, fine.when = one;
    memcpy(far, t, sizeof t), far[SEEN_STEPS] = INFINITY;
    for (int i = 0; i < 13; i++) {
        fd_proposal no = fine;
        if (i == 0) no.when = never;
        if (i == 1) no.when = NULL;
        if (i == 2) no.values = NULL;
        if (i == 3) no.noise = NULL;
        if (i == 4) no.more = 2, no.when = twice;
        if (i == 5) no.t = NULL;
        if (i == 6) no.end = NULL;
        if (i == 7) no.weight = 0;
        if (i == 8) no.t = far;
        if (i == 9) no.end = endless;
        if (i == 10) no.e = &empty;
        if (i == 11) no.e = NULL;
        if (i == 12) no.when = end;                    /* a value at the end is the end */
        OK(!fd_proposal_new(&a, &no)
           && st->code == (i == 9 ? FD_EDATA : i == 11 ? FD_OK : FD_EARG),
           "a wrong proposal, row %d: %s", i, explain(st));
        st->code = FD_OK;
    }
    OK(!fd_proposal_new(&a, NULL) && !st->code, "of nothing");
    const fd_proposal *made = fd_proposal_new(&a, &fine);
    for (int i = 0; i < 3; i++) {
        OK(!fd_proposal_move(made, i == 0 ? 0 : i == 1 ? 1.1 : NAN, fd_seed(1), 0, kept, kept + 1,
                             kept + 2, a)
           && st->code == FD_EARG && kept[0] == 7 && kept[1] == 7 && kept[2] == 7,
           "s of row %d", i);
        st->code = FD_OK;
    }
}

static void nothing_moves(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    wrong_proposals(a);
    no_systems(a);
    test_free();
}

void test_shapes(void)
{
    several();
    nothing_moves();
    well();
    paths();
    weights();
    proposals();
    /* ten times as slow there, and no new code */
    if (!SANITIZED) learned();
    divergence();
    flows();
    test_starve("proposals, weights, flows", starved, NULL, 11, (const fd_real[11]){ 0 });
}
