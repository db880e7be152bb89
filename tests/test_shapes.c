/* test_shapes.c -- bridges of nonlinear equations and flows of shapes: the double well against
 * densities passed over a grid, learned time reversal, guided proposals, Malliavin weights.
 *
 * The well: V = (x^2 - 1)^2, dX = -V'(X) dt + dW from -1, seen at 1 at the time 4. Relative to the
 * Brownian bridge its paths have the density exp(-int Psi), Psi = (V'^2 - V'')/2. */
#include "test.h"

enum { CELLS = 1041, MOST = 512 };
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

/* errors of order h^2 and h^4 taken out of numbers for h, h/2, h/4 */
static double limit_of(double a, double b, double c)
{
    double u = b + (b - a) / 3, v = c + (c - b) / 3;
    return v + (v - u) / 15;
}

/* ---- The exact well ---------------------------------------------------------------------------- */

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

void test_shapes(void)
{
    well();
    paths();
}
