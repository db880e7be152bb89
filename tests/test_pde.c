/* test_pde.c -- the forward models of examples/pde.h against values and orders that are known, and
 * their adjoints against differences and dot products. */
#include "data.h"
#include "test.h"

/* of -Laplacian u = 1 on the unit square */
static const double centre = .0736713532814;

/* 12 and 3, or a smooth coefficient */
static void coefficient(int n, int kind, double *a)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double x = (i + .5) / n, y = (j + .5) / n;
            double s = sin(2 * pde_pi * x) * cos(3 * pde_pi * y) + .3 * cos(5 * pde_pi * (x + y));
            a[i * n + j] = kind == 0 ? 1 : kind == 1 ? s >= 0 ? 12 : 3
                         : 1 + .5 * sin(2 * pde_pi * x) * cos(pde_pi * y);
        }
}

/* The error of u = sin(pi x) sin(2 pi y) on n x n cells. */
static double manufactured(int n, double *k, double *f, double *u, fd_arena a)
{
    double sum = 0;
    coefficient(n, 2, k);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double x = (i + .5) / n, y = (j + .5) / n, c = pde_pi;
            double ux = c * cos(c * x) * sin(2 * c * y), uy = 2 * c * sin(c * x) * cos(2 * c * y);
            double ax = c * cos(2 * c * x) * cos(c * y), ay = -.5 * c * sin(2 * c * x) * sin(c * y);
            f[i * n + j] = 5 * c * c * k[i * n + j] * sin(c * x) * sin(2 * c * y) - ax * ux
                           - ay * uy;
        }
    pde_darcy *p = pde_darcy_new(&a, n, PDE_HARMONIC, PDE_MULTIGRID, 1e-12, k);
    pde_darcy_solve(p, f, u, a);
    for (int i = 0; i < n * n; i++) {
        double x = (i / n + .5) / n, y = (i % n + .5) / n;
        sum += pow(u[i] - sin(pde_pi * x) * sin(2 * pde_pi * y), 2) / n / n;
    }
    return sqrt(sum);
}

/* Coefficients that jump: the iterations of each way, and the pressure. */
static void darcy_jumps(void)
{
    fd_status st;
    static const struct {
        double most, sd, at; int row, col, cg[2]; double faces, worst;
    } want[2] = {
        { .012580508694, .003799313761, .007073895625, 10, 20, { 271, 185 }, .02342995,
          .0003069064 },
        { .01258240294, .003800953639, .006863395742, 20, 40, { 552, 373 }, .01170389,
          .0001621899 } };
    for (int g = 0; g < 2; g++) {
        fd_arena a = test_arena(1 << 24, &st);
        const int n = 64 << g, all = n * n;
        double *k = fd_raw(&a, double, all), *f = fd_raw(&a, double, all),
            *u = fd_raw(&a, double, all);
        double *v = fd_raw(&a, double, all), most = 0, mean = 0, var = 0, off = 0, size = 0,
            worst = 0;
        coefficient(n, 1, k);
        for (int i = 0; i < all; i++) f[i] = 1;
        for (int way = PDE_PLAIN; way <= PDE_JACOBI; way++) {
            pde_darcy *p = pde_darcy_new(&a, n, PDE_HARMONIC, way, 1e-8, k);
            int count = pde_darcy_solve(p, f, u, a);
            NEAR(count, want[g].cg[way - 1], 1.5, "iterations of conjugate gradients, %d", way);
        }
        pde_darcy *p = pde_darcy_new(&a, n, PDE_HARMONIC, PDE_MULTIGRID, 1e-12, k);
        int count = pde_darcy_solve(p, f, u, a);
        OK(count > 0 && count < 40, "multigrid with jumps: %d iterations", count);
        pde_darcy_solve(pde_darcy_new(&a, n, PDE_ARITHMETIC, PDE_MULTIGRID, 1e-12, k), f, v, a);
        for (int i = 0; i < all; i++) {
            most = fmax(most, u[i]), mean += u[i] / all, worst = fmax(worst, fabs(u[i] - v[i]));
            off += pow(u[i] - v[i], 2), size += pow(u[i], 2);
        }
        for (int i = 0; i < all; i++) var += pow(u[i] - mean, 2) / all;
        NEAR(most, want[g].most, 1e-11, "largest pressure, %d cells", n);
        NEAR(sqrt(var), want[g].sd, 1e-11, "its deviation");
        NEAR(u[want[g].row * n + want[g].col], want[g].at, 1e-11, "in a cell");
        NEAR(sqrt(off / size), want[g].faces, 1e-7, "harmonic against arithmetic faces");
        NEAR(worst, want[g].worst, 1e-9, "at most");
        OK(!st.code, "Darcy: %s", st.code ? st.what : "");
        test_free();
    }
}

/* The gradient of Phi(u(a)), Phi = sum w u, by Richardson's differences. */
static void darcy_gradient(void)
{
    enum { N = 12 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    double k[N * N], f[N * N], u[N * N], q[N * N], g[N * N], w[N * N];
    for (int faces = PDE_HARMONIC; faces <= PDE_ARITHMETIC; faces++) {
        coefficient(N, 2, k);
        for (int i = 0; i < N * N; i++) w[i] = cos(i), f[i] = 1 + sin(.3 * i);
        for (int i = 0; i < N * N; i++) q[i] = w[i] * N * N;
        pde_darcy *p = pde_darcy_new(&a, N, faces, PDE_MULTIGRID, 1e-13, k);
        double *r = fd_raw(&a, double, N * N);
        memcpy(r, q, sizeof q);
        pde_darcy_solve(p, f, u, a), pde_darcy_solve(p, r, q, a);
        pde_darcy_gradient(p, faces, k, u, q, g);
        for (int c = 0; c < N * N; c += 13) {
            double d[2], keep = k[c];
            for (int e = 0; e < 2; e++) {
                double h = .02 / (1 + e), phi[2];
                for (int side = 0; side < 2; side++) {
                    fd_arena own = a;
                    k[c] = keep + (side ? h : -h);
                    pde_darcy_solve(pde_darcy_new(&own, N, faces, PDE_MULTIGRID, 1e-13, k), f, u,
                                    own);
                    phi[side] = pde_dot(N * N, w, u);
                }
                d[e] = (phi[1] - phi[0]) / (2 * h);
            }
            k[c] = keep;
            NEAR(g[c], (4 * d[1] - d[0]) / 3, 1e-8, "d/da of cell %d, faces %d", c, faces);
        }
    }
    k[3] = 0;
    OK(!pde_darcy_new(&a, N, PDE_HARMONIC, PDE_JACOBI, 1e-8, k) && st.code == FD_EDATA,
       "a coefficient of 0");
    st.code = FD_OK;
    test_free();
}

static void darcy(void)
{
    fd_status st;
    double last = 0, order = 0;
    for (int n = 16; n <= 128; n *= 2) {
        fd_arena a = test_arena(1 << 24, &st);
        double *k = fd_raw(&a, double, n * n), *f = fd_raw(&a, double, n * n),
            *u = fd_raw(&a, double, n * n);
        coefficient(n, 0, k);
        for (int i = 0; i < n * n; i++) f[i] = 1;
        pde_darcy *p = pde_darcy_new(&a, n, PDE_HARMONIC, PDE_MULTIGRID, 1e-12, k);
        int count = pde_darcy_solve(p, f, u, a), m = n / 2;
        double mid = .25 * (u[m * n + m] + u[(m - 1) * n + m] + u[m * n + m - 1]
                            + u[(m - 1) * n + m - 1]);
        static const double off[4] = { -2.3e-4, -5.7e-5, -1.4e-5, -3.5e-6 };
        int at = n == 16 ? 0 : n == 32 ? 1 : n == 64 ? 2 : 3;
        NEAR(mid - centre, off[at], .03 * fabs(off[at]), "centre of a square of %d cells", n);
        OK(count > 0 && count < 25, "multigrid: %d iterations on %d cells", count, n);
        const double sum = manufactured(n, k, f, u, a);     /* of order 2 */
        if (n > 16) order = log(last / sum) / log(2);
        if (n == 16) NEAR(sum, 6.1e-3, 1e-4, "manufactured solution on 16 cells");
        if (n == 128) NEAR(sum, 9.5e-5, 1e-6, "on 128");
        if (n > 16) NEAR(order, 2, .05, "of order 2");
        last = sum;
        OK(!st.code, "Darcy: %s", st.code ? st.what : "");
        test_free();
    }
    darcy_jumps();
    /* any number of cells: the same solution as without the coarser grids */
    for (int n = 1; n <= 37; n = n < 5 ? n + 1 : n + 16) {
        fd_arena a = test_arena(1 << 22, &st);
        double *k = fd_raw(&a, double, n * n), *f = fd_raw(&a, double, n * n),
            *u = fd_raw(&a, double, n * n);
        double *v = fd_raw(&a, double, n * n), off = 0;
        coefficient(n, 1, k);
        for (int i = 0; i < n * n; i++) f[i] = 1 + cos(i);
        const int count = pde_darcy_solve(pde_darcy_new(&a, n, PDE_HARMONIC, PDE_MULTIGRID, 1e-12,
                                                        k), f, u, a);
        pde_darcy_solve(pde_darcy_new(&a, n, PDE_HARMONIC, PDE_JACOBI, 1e-12, k), f, v, a);
        for (int i = 0; i < n * n; i++) off = fmax(off, fabs(u[i] - v[i]));
        NEAR(off, 0, 1e-12, "multigrid on %d cells", n);
        OK(count > 0 && count < 30, "multigrid: %d iterations on %d cells", count, n);
        test_free();
    }
    darcy_gradient();
}

static void poisson(void)
{
    fd_status st;
    double last = 0;
    for (int n = 16; n <= 64; n *= 2) {
        fd_arena a = test_arena(1 << 22, &st);
        const int m = n - 1;
        fd_space s = fd_grid(&a, 2, (int[]){ m, m }, NULL, (int[]){ FD_DIRICHLET, FD_DIRICHLET },
                             1);
        fd_real *f = fd_raw(&a, fd_real, m * m), *u = fd_raw(&a, fd_real, m * m),
            *v = fd_raw(&a, fd_real, m * m);
        for (int i = 0; i < m * m; i++) f[i] = 1;
        pde_helmholtz(&s, 0, 1, f, u, a);
        double off = (double)u[m * m / 2] + .0736713532815;
        if (n > 16)
            NEAR(log(last / fabs(off)) / log(2), 2, TOL(.01, .05), "Poisson's equation, order 2");
        last = fabs(off);
        /* the stencil and k^2 u give f back; the operator is symmetric */
        for (int i = 0; i < m * m; i++) f[i] = (fd_real)cos(i), v[i] = (fd_real)sin(.7 * i);
        pde_helmholtz(&s, 3, 1, f, u, a);
        double right = 0, left = 0, size = 0;
        for (int i = 0; i < m; i++)
            for (int j = 0; j < m; j++) {
                double at = (double)u[i * m + j], sum = -4 * at;
                if (i) sum += (double)u[(i - 1) * m + j];
                if (j) sum += (double)u[i * m + j - 1];
                if (i < m - 1) sum += (double)u[(i + 1) * m + j];
                if (j < m - 1) sum += (double)u[i * m + j + 1];
                NEAR(sum * n * n + 3 * at, (double)f[i * m + j], TOL(1e-11, 5e-4),
                     "Helmholtz' equation");
                left += at * (double)v[i * m + j];
            }
        pde_helmholtz(&s, 3, 1, v, v, a);
        for (int i = 0; i < m * m; i++)
            right += (double)v[i] * (double)f[i], size += fabs((double)v[i]);
        NEAR(left, right, TOL(1e-13, 1e-6) * size, "its own adjoint");
        OK(!st.code, "status");
        pde_helmholtz(&s, 8 * n * n * pow(sin(.5 * pde_pi / n), 2), 1, f, u, a);
        OK(st.code == FD_EDATA, "k^2 is an eigenvalue");
        test_free();
    }
}

/* a step's derivative: <l, (step(w + e h) - step(w - e h))/2e> = <back(l), h> */
static void flow_adjoint(const pde_flow *p, int burgers, const char *what, fd_arena a)
{
    const int n = burgers ? p->n : p->n * p->n;
    fd_real *w = fd_raw(&a, fd_real, n), *h = fd_raw(&a, fd_real, n), *g = fd_raw(&a, fd_real, n);
    fd_real *x[4];
    const double e = TOL(1e-3, 3e-2);
    double d[2] = { 0, 0 }, right = 0, size = 0;
    fd_space s = burgers ? fd_grid(&a, 1, (int[]){ p->n }, NULL, NULL, 1)
                         : fd_grid(&a, 2, (int[]){ p->n, p->n }, NULL, NULL, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .15, 1.5);
    fd_cov_draw(c, fd_seed(1), 0, 1, w, a), fd_cov_draw(c, fd_seed(2), 0, 1, h, a);
    fd_cov_draw(c, fd_seed(3), 0, 1, g, a);
    for (int k = 0; k < 4; k++) {
        x[k] = fd_raw(&a, fd_real, n);
        if (!x[k]) return;
        for (int i = 0; i < n; i++)
            x[k][i] = w[i] + (fd_real)(e * (k % 2 ? -1 : 1) / (1 + k / 2)) * h[i];
        if (burgers) pde_burgers_step(p, x[k], NULL, a);
        else pde_flow_step(p, x[k], a);
    }
    for (int i = 0; i < n; i++)
        for (int q = 0; q < 2; q++)
            d[q] += ((double)x[2 * q][i] - (double)x[2 * q + 1][i])
                * (double)g[i] / (2 * e / (1 + q));
    if (burgers) pde_burgers_step(p, w, g, a);
    else pde_flow_pull(p, 1, w, g, a);
    for (int i = 0; i < n; i++)
        right += (double)g[i] * (double)h[i], size += fabs((double)g[i] * (double)h[i]);
    OK(!a.st->code, "%s: %s", what, a.st->code ? a.st->what : "");
    NEAR((4 * d[1] - d[0]) / 3, right, TOL(1e-10, 3e-5) * size, "%s: the transpose of a step",
         what);
}

/* States that are kept every few steps alone give the bits that all of them give. The memory grows
 * with the root of the steps. */
static void kept_states(const pde_flow *p,
                        void move(const pde_flow *, fd_real *, fd_real *, fd_arena),
                        ptrdiff_t size, int steps, fd_arena a)
{
    fd_real *w = fd_raw(&a, fd_real, (steps + 1) * size), *g = fd_raw(&a, fd_real, 2 * size);
    if (!g) return;
    fd_normal(fd_seed(4), size, w), fd_normal(fd_seed(5), size, g);
    for (ptrdiff_t i = 0; i < size; i++) w[i] *= (fd_real)1e-3;
    memcpy(g + size, g, (size_t)size * sizeof *g);
    for (int k = 0; k < steps; k++) {
        memcpy(w + (k + 1) * size, w + k * size, (size_t)size * sizeof *w);
        move(p, w + (k + 1) * size, NULL, a);
    }
    for (int k = steps - 1; k >= 0; k--) move(p, w + k * size, g, a);
    fd_arena few = a;
    few.end = few.beg + (1 << 16) + (ptrdiff_t)(8 + 2 * ceil(sqrt(steps))) * size * (int)sizeof *w;
    OK(few.end < a.end, "the arena of this test is larger");
    pde_pull(p, steps, size, w, g + size, move, few);
    OK(!a.st->code, "%d steps: %s", steps, a.st->code ? a.st->what : "");
    OK(!memcmp(g, g + size, (size_t)size * sizeof *g), "%d steps: all states or some of them",
       steps);
}

/* Cole and Hopf: u = -2 nu phi_x/phi with phi = exp(-int u/(2 nu)), which follows the heat
 * equation. Order 1 in the step. */
static void cole_hopf(fd_arena a)
{
    enum { POINTS = 64, FINE = 2048 };
    const double nu = .05, T = .5;
    double last = 0;
    for (int steps = 200; steps <= 800; steps *= 2) {
        const pde_flow p = { .n = POINTS, .nu = nu, .dt = T / steps };
        fd_real u[POINTS];
        double off = 0;
        for (int i = 0; i < POINTS; i++) u[i] = (fd_real)sin(2 * pde_pi * i / POINTS);
        for (int k = 0; k < steps; k++) pde_burgers_step(&p, u, NULL, a);
        for (int i = 0; i < POINTS; i += 3) {               /* the heat kernel by quadrature */
            double x = (double)i / POINTS, up = 0, down = 0;
            for (int k = -FINE; k < FINE; k++) {
                double y = 4. * (k + .5) / FINE, at = x - y;
                double phi = exp((cos(2 * pde_pi * at) - 1) / (4 * pde_pi * nu)
                                 - y * y / (4 * nu * T));
                up += sin(2 * pde_pi * at) * phi, down += phi;
            }
            off = fmax(off, fabs((double)u[i] - up / down));
        }
        if (last > 0) NEAR(last / off, 2, TOL(.05, .3), "Burgers against Cole and Hopf, order 1");
        else NEAR(off, 0, 5e-3, "Burgers against Cole and Hopf");
        last = off;
    }
}

static void flows(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    enum { N = 32, STEPS = 200 };
    static fd_real w[N * N], f[N * N];
    for (int m = 1; m <= 3; m++) {                          /* Taylor and Green: no advection */
        fd_arena own = a;
        const pde_flow p = pde_flow_new(&own, N, 2e-3, 5e-3, NULL);
        const double z = .5 * p.dt * p.nu * 8 * pde_pi * pde_pi * m * m,
            keep = pow((1 - z) / (1 + z), STEPS);
        double worst = 0;
        for (int i = 0; i < N * N; i++)
            w[i] = (fd_real)(cos(2 * pde_pi * m * (i / N) / N) * cos(2 * pde_pi * m * (i % N) / N));
        for (int k = 0; k < STEPS; k++) pde_flow_step(&p, w, own);
        for (int i = 0; i < N * N; i++)
            worst = fmax(worst, fabs((double)w[i] - keep * cos(2 * pde_pi * m * (i / N) / N)
                                                        * cos(2 * pde_pi * m * (i % N) / N)));
        NEAR(worst, 0, TOL(3e-14, 5e-5), "Taylor's and Green's vortices, %d", m);
    }
    double worst = 0;
    for (int i = 0; i < N * N; i++) {
        double u = 2 * pde_pi * (i / N + i % N) / N;
        f[i] = (fd_real)(.1 * (sin(u) + cos(u))), w[i] = 0;
    }
    const pde_flow forced = pde_flow_new(&a, N, 1e-3, 1e-3, f);
    for (int k = 0; k < 1000; k++) pde_flow_step(&forced, w, a);
    for (int i = 0; i < N * N; i++) {
        double q = 8 * pde_pi * pde_pi * 1e-3;
        worst = fmax(worst, fabs((double)w[i] - (double)f[i] * (1 - exp(-q)) / q));
    }
    NEAR(worst, 0, TOL(7e-11, 2e-5), "forced from rest");
    flow_adjoint(&forced, 0, "vorticity", a);
    const pde_flow odd = pde_flow_new(&a, 15, 1e-2, 1e-2, NULL),
        line = { .n = 64, .nu = .01, .dt = 2e-3 };
    flow_adjoint(&odd, 0, "vorticity on an odd grid", a);
    flow_adjoint(&line, 1, "Burgers", a);
    for (int steps = 1; steps <= 729; steps *= 3) {         /* 729 states do not fit into few */
        kept_states(&odd, pde_flow_move, 2 * pde_flow_half(&odd), steps, a);
        kept_states(&line, pde_burgers_step, line.n, steps, a);
    }
    OK(!st.code, "flows: %s", st.code ? st.what : "");
    for (int i = 0; i < N * N; i++) w[i] *= 1000000;
    pde_flow_step(&forced, w, a);
    OK(st.code == FD_EDATA, "a step that is too long for the flow");
    st.code = FD_OK;
    /* Where 3 divides n, the square of wave n/3 is taken for a wave n/3, which moves nothing. */
    const pde_flow third = { .n = 48, .nu = 0, .dt = 1. / 48 };
    fd_real wave[48], moved[48];
    for (int i = 0; i < 48; i++) wave[i] = moved[i] = (fd_real)cos(2 * pde_pi * i / 3);
    pde_burgers_step(&third, moved, NULL, a);
    NEAR(test_maxdiff(48, wave, moved), 0, TOL(1e-14, 1e-6), "Burgers: the wave n/3 stays");
    cole_hopf(a);
    OK(!st.code, "status");
    test_free();
}

static void radon(void)
{
    enum { VIEWS = 12, BEAMS = 40 };
    fd_status st;
    double theta[VIEWS], s[BEAMS], last[2] = { 0, 0 };
    static const double gauss[3] = { 1.9e-2, 4.9e-3, 1.2e-3 }, disc[3] = { 3.9e-2, 1.2e-2, 6.8e-3 };
    for (int v = 0; v < VIEWS; v++) theta[v] = -pde_pi / 3 + (v + .5) * 2 * pde_pi / 3 / VIEWS;
    for (int b = 0; b < BEAMS; b++) s[b] = -1.4 + (b + .5) * 2.8 / BEAMS;
    for (int k = 0; k < 3; k++) {
        fd_arena a = test_arena(1 << 22, &st);
        const int n = 32 << k, cells = n * n, m = VIEWS * BEAMS;
        double *f = fd_raw(&a, double, cells), *g = fd_raw(&a, double, m),
            *h = fd_new(&a, double, cells);
        double off[2] = { 0, 0 }, size[2] = { 0, 0 };
        for (int what = 0; what < 2; what++) {
            const double cx = what ? 0 : .2, cy = what ? 0 : -.1, w = .12;
            for (int i = 0; i < cells; i++) {
                double y = -1 + (i / n + .5) * 2 / n - cy, x = -1 + (i % n + .5) * 2 / n - cx,
                    r = x * x + y * y;
                f[i] = what ? r < .25 : exp(-r / (2 * w * w));
            }
            pde_radon(n, VIEWS, theta, BEAMS, s, 0, f, g);
            for (int i = 0; i < m; i++) {
                double t = theta[i / BEAMS], d = s[i % BEAMS] - cx * cos(t) - cy * sin(t);
                double want = what ? d * d < .25 ? 2 * sqrt(.25 - d * d) : 0
                                   : sqrt(2 * pde_pi) * w * exp(-d * d / (2 * w * w));
                off[what] += pow(g[i] - want, 2), size[what] += want * want;
            }
            off[what] = sqrt(off[what] / size[what]);
        }
        NEAR(off[0], gauss[k], .06 * gauss[k], "Radon transform of a bell, n = %d", n);
        NEAR(off[1], disc[k], .06 * disc[k], "of a disc");
        if (k) NEAR(log(last[0] / off[0]) / log(2), 2, .1, "of order 2");
        last[0] = off[0];
        double left = 0, right = 0;
        for (int i = 0; i < m; i++) g[i] = cos(i);
        pde_radon(n, VIEWS, theta, BEAMS, s, 1, h, g);
        for (int i = 0; i < cells; i++) f[i] = sin(.3 * i), right += f[i] * h[i];
        double *y = fd_raw(&a, double, m);
        pde_radon(n, VIEWS, theta, BEAMS, s, 0, f, y);
        for (int i = 0; i < m; i++) left += y[i] * cos(i);
        NEAR(left, right, 1e-12 * m, "its transpose");
        OK(!st.code, "status");
        test_free();
    }
}

static void mogi(void)
{
    const pde_mogi m = { .3, -.2, 1.5, 2 };
    for (int side = 4; side <= 16; side *= 2) {              /* over a square about the source */
        double L = side, sum = 0, d = m.d;
        enum { Q = 800 };
        for (int i = 0; i < Q; i++)
            for (int j = 0; j < Q; j++) {
                double u[3];
                pde_mogi_ground(&m, m.x - L + (i + .5) * 2 * L / Q, m.y - L + (j + .5) * 2 * L / Q,
                                u);
                sum += u[2] * 4 * L * L / Q / Q;
            }
        double want = 4 * (1 - pde_mogi_nu) * m.dv / pde_pi
            * atan(L * L / (d * sqrt(2 * L * L + d * d)));
        NEAR(sum, want, 1e-4 * want, "volume of the uplift over a square of half width %g", L);
    }
    double u[3], r2 = 1 + 4 + m.d * m.d;
    pde_mogi_ground(&m, m.x + 1, m.y - 2, u);
    NEAR(u[0], .75 * 2 / pde_pi / pow(r2, 1.5), 1e-15, "to the east");
    NEAR(u[1], -2 * .75 * 2 / pde_pi / pow(r2, 1.5), 1e-15, "to the south");
    NEAR(u[2], m.d * .75 * 2 / pde_pi / pow(r2, 1.5), 1e-15, "up");
    pde_mogi_ground(&m, m.x, m.y, u);
    OK(u[0] == 0 && u[1] == 0 && u[2] > 0, "above the source straight up");
    double phase = pde_mogi_phase(&m, m.x, m.y, .056, .6, -.2);
    NEAR(phase, 4 * pde_pi / .056 * cos(.6) * u[2], 1e-12 * phase, "phase above the source");
}

static void distances(void)
{
    enum { N = 17, M = 13 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    unsigned char in[N * M] = { 0 }, six[36] = { 0 };
    double d[N * M], e[36];
    static const double block[6] = { 1 / 3., 1 / 6., -1 / 6., -1 / 6., 1 / 6., 1 / 3. };
    for (int i = 2; i < 4; i++) for (int j = 2; j < 4; j++) six[i * 6 + j] = 1;
    pde_signed_distance(6, 6, six, e, a);
    for (int j = 0; j < 6; j++) NEAR(e[12 + j], block[j], 1e-15, "a block of 2x2 in 6x6");
    for (int k = 0; k < 20; k++) {
        fd_real u[N * M];
        fd_uniform(fd_seed((uint64_t)k), N * M, u);
        for (int i = 0; i < N * M; i++) in[i] = (double)u[i] < .05 + .04 * k;
        pde_signed_distance(N, M, in, d, a);
        for (int i = 0; i < N * M; i++) {
            double near = INFINITY;
            for (int j = 0; j < N * M; j++)
                if (in[i] != in[j])
                    near = fmin(near, pow(i / M - j / M, 2) + pow(i % M - j % M, 2));
            NEAR(d[i], (in[i] ? -1 : 1) * sqrt(near) / N, 1e-14, "signed distance of a random set");
        }
    }
    OK(!st.code, "status");
    test_free();
}

/* what --op puts between a function and its observation: the transpose of its derivative, in the
 * units of a model, too */
static void operators(void)
{
    static const struct { int row, bc, n[2]; double v[5]; } rows[] = {
        { OP_DARCY, FD_NEUMANN, { 12, 12 }, { 0 } }, { OP_DARCY, FD_NEUMANN, { 12, 12 }, { 1 } },
        { OP_POISSON, FD_DIRICHLET, { 11, 9 }, { 3 } },
        { OP_HEAT, FD_MIXED, { 12, 9 }, { .02, .5 } },
        { OP_BLUR, FD_PERIODIC, { 12, 9 }, { .1 } },
        { OP_RADON, FD_NEUMANN, { 12, 12 }, { 60, 5, 9 } },
        { OP_MOGI, FD_NEUMANN, { 12, 12 }, { 2, 12, 38, -12, 0 } },
        { OP_PHASE, FD_DIRICHLET, { 12, 9 }, { 0 } },
        { OP_MOGI, FD_NEUMANN, { 12, 12 }, { 2, 12, 38, 20, 1 } },
        { OP_FLOW, FD_PERIODIC, { 16, 16 }, { 1e-2, .05, .01 } },
        { OP_BURGERS, FD_PERIODIC, { 32, 0 }, { .05, .05, .01 } } };
    fd_status st;
    for (int k = 0; k < COUNT(rows); k++)
        for (int units = 0; units < 2; units++) {
            fd_arena a = test_arena(1 << 24, &st);
            const int nd = rows[k].n[1] ? 2 : 1;
            fd_space s = fd_grid(&a, nd, rows[k].n, NULL, (int[]){ rows[k].bc, rows[k].bc }, 1);
            spec op = { .t = &t_op, .row = rows[k].row };
            memcpy(op.v, rows[k].v, sizeof rows[k].v);
            fd_obs o = fd_obs_points(&a, &s, 3, (double[]){ .2, .3, .55, .6, .8, .15 }, NULL);
            op_wrap(&a, &o, &op, units ? 2 : 1, units ? -.3 : 0);
            fd_real *x = fd_raw(&a, fd_real, s.points);
            fd_cov_draw(fd_cov_matern(&a, &s, 1, .3, 2.5), fd_seed(2), 0, 1, x, a);
            for (int i = 0; i < 3; i++)
                NEAR(fd_obs_check(&o, x, fd_seed((uint64_t)i), a), 0, TOL(1e-6, 2e-2),
                     "--op %s, units %d", t_op.rows[op.row].name, units);
            OK(o.linear == (op.row >= OP_POISSON && op.row <= OP_MOGI && !op.v[4] && !units),
               "linear or not");
            OK(!st.code, "--op %s: %s", t_op.rows[op.row].name, st.code ? st.what : "");
            test_free();
        }
}

/* what the operators say of functions whose image is known */
static void images(void)
{
    enum { N = 48 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = fd_grid(&a, 2, (int[]){ N, N }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, 1);
    fd_real *x = fd_raw(&a, fd_real, N * N);
    const double at[4] = { .52, .41, .7, .8 }, w = .1;
    spec op = { .t = &t_op, .row = OP_BLUR, .v = { w } };
    fd_obs o = fd_obs_points(&a, &s, 2, at, NULL);
    op_wrap(&a, &o, &op, 1, 0);
    double y[2 * N * N];
    for (int i = 0; i < N * N; i++)
        x[i] = (fd_real)(cos(pde_pi * (i / N + .5) / N) * cos(2 * pde_pi * (i % N + .5) / N));
    o.apply(o.self, &s, 1, x, y, a);
    for (int i = 0; i < 2; i++)
        NEAR(y[i], exp(-2.5 * pde_pi * pde_pi * w * w) * cos(pde_pi * at[2 * i])
             * cos(2 * pde_pi * at[2 * i + 1]), 2e-5, "a cosine under a Gaussian blur");
    /* one open cell is Mogi's source: its phase, and cos and sin of it, at the centre of another
     * cell */
    const double spot[2] = { (30 + .5) / N, (9 + .5) / N }, km = 12. / N, turn = pde_pi / 180;
    const pde_mogi m = { (20 + .5) * km, (14 + .5) * km, 3, km * km * 1e-5 };
    const double want = pde_mogi_phase(&m, 12 * spot[1], 12 * spot[0], 5.5466e-5, 38 * turn,
                                       -12 * turn);
    memset(x, 0, N * N * sizeof *x);
    x[14 * N + 20] = 1;
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        op = (spec){ .t = &t_op, .row = OP_MOGI, .v = { 3, 12, 38, -12, wrapped } };
        o = fd_obs_points(&a, &s, 1, spot, NULL);
        op_wrap(&a, &o, &op, 1, 0);
        o.apply(o.self, &s, 1, x, y, a);
        OK(o.m == 1 + wrapped, "how many numbers are seen");
        NEAR(y[0], wrapped ? cos(want) : want, TOL(1e-12, 1e-6),
             "one open cell is a source of Mogi, wrapped %d", wrapped);
        if (wrapped) NEAR(y[1], sin(want), TOL(1e-12, 1e-6), "its sine");
    }
    /* a bell's sinogram, from the unit square */
    double theta[5], beam[N];
    op = (spec){ .t = &t_op, .row = OP_RADON, .v = { 60, 5, 0 } };
    o = (fd_obs){ .s = s };
    op_wrap(&a, &o, &op, 1, 0);
    OK(o.m == 5 * N, "as many detectors as columns");
    radon_beams(60, 5, N, theta, beam);
    for (int i = 0; i < N * N; i++)
        x[i] = (fd_real)exp(-(pow(2 * (i / N + .5) / N - .9, 2)
                              + pow(2 * (i % N + .5) / N - 1.2, 2)) / (2 * .15 * .15));
    o.apply(o.self, &s, 1, x, y, a);
    NEAR(theta[0], -48 * turn, 1e-15, "the first view");
    for (int i = 0; i < o.m; i++) {
        const double d = beam[i % N] - .2 * cos(theta[i / N]) + .1 * sin(theta[i / N]);
        NEAR(y[i], sqrt(2 * pde_pi) * .15 * exp(-d * d / (2 * .15 * .15)), 5e-3,
             "a bell's sinogram");
    }
    OK(!st.code, "images: %s", st.code ? st.what : "");
    test_free();
}

/* what fd data makes is the same function on a grid of three times as many points: root mean
 * square of the difference at the points that both have, over that of the function. A random field
 * of the coarse grid lacks the waves that only the fine one has. */
static void grids(void)
{
    static const struct { const char *name; int n; double x, y; } want[] = {
        { "darcy", 32, .1, .015 }, { "darcy:law=exp", 32, .01, .004 }, { "poisson", 31, .05, .002 },
        { "flow:time=0.5", 32, .002, .03 }, { "burgers:time=0.5", 64, 1e-4, .002 },
        { "heat", 32, .1, 1e-6 },
        { "blur", 32, .1, 1e-6 }, { "bumps", 63, 0, 1e-6 }, { "radon", 32, 0, .05 },
        { "allen-cahn", 32, .002, .02 },
        { "volcano", 24, .3, 0 }, { "outlines", 32, .07, 0 }, { "field", 64, .015, 0 },
        { "mixture", 32, .001, 0 },
        { "levy", 64, 0, 0 }, { "levy:law=student", 64, 0, 0 },
        { "levy:law=bernoulli,steps=32", 64, 0, 0 },
        { "well", 64, 0, 0 } };
    for (int k = 0; k < COUNT(want); k++) {
        fd_status st;
        fd_arena a = test_arena(1 << 27, &st);
        fd_real *x[2], *y[2];
        maker m[2];
        double off[2] = { 0, 0 }, size[2] = { 0, 0 };
        for (int g = 0; g < 2; g++) {
            args *o = fd_new(&a, args, 1);
            spec what = spec_read(&t_data, "data", want[k].name);
            const int bc = data_kinds[what.row].bc, axes = data_kinds[what.row].axes, n = want[k].n;
            o->seed = 3, o->grid = (shape){ axes > 0 ? axes : what.row == DATA_FIELD ? 1 : 2,
                                            { 1, 1, 1 } };
            o->cov = spec_read(&t_cov, "cov", "matern:nu=1.5,l=0.1");
            for (int e = 0; e < 3; e++) o->bc[e] = FD_NEUMANN;
            for (int e = 0; e < o->grid.nd; e++)
                o->grid.n[e] = !g ? n : bc == FD_DIRICHLET ? 3 * (n + 1) - 1 : 3 * n;
            m[g] = maker_new(&a, o, want[k].name);
            x[g] = fd_raw(&a, fd_real, fd_size(&m[g].s)), y[g] = fd_new(&a, fd_real, m[g].seen);
            maker_one(&m[g], 5, x[g], y[g], a);
        }
        OK(!st.code, "%s: %s", want[k].name, st.code ? st.what : "");
        const fd_space *s = &m[0].s, *f = &m[1].s;
        const int skip = s->bc[0] == FD_PERIODIC ? 0 : s->bc[0] == FD_DIRICHLET ? 2 : 1;
        for (int what = 0; what < 2 && !st.code; what++) {
            const ptrdiff_t n = what ? m[0].seen : fd_size(s);
            const fd_real *c = what ? y[0] : x[0], *b = what ? y[1] : x[1];
            for (ptrdiff_t i = 0; i < n; i++) {
                int at[3];
                ptrdiff_t to = 0;
                fd_mode(s, i % s->points, at);
                for (int e = 0; e < s->nd; e++) to = to * f->n[e] + 3 * at[e] + skip;
                if (what && m[0].seen != s->points) to = i;
                else to += i / s->points * f->points;
                off[what] += pow((double)c[i] - (double)b[to], 2),
                    size[what] += pow((double)c[i], 2);
            }
            off[what] = sqrt(off[what] / fmax(size[what], 1e-30));
        }
        NEAR(off[0], 0, want[k].x + TOL(1e-12, 2e-5), "%s on another grid", want[k].name);
        NEAR(off[1], 0, want[k].y + TOL(1e-12, 2e-5), "what goes with %s on another grid",
             want[k].name);
        test_free();
    }
}

/* Laws that are known: the variance of jumps; u' = u - u^3 where diffusion leaves the mean of the
 * start alone */
static void made(void)
{
    static const struct { const char *name; double var; } jumps[] = {
        { "levy:b=0.3", 2 * .09 }, { "levy:law=student,b=0.3,nu=9", .09 * 9 / 7 },
        { "levy:law=bernoulli,b=0.3,chance=0.25", .5 * .09 } };
    enum { MANY = 400 };
    for (int k = 0; k <= COUNT(jumps); k++) {
        fd_status st;
        fd_arena a = test_arena(1 << 24, &st);
        const int line = k < COUNT(jumps);
        args o = { .seed = 1, .grid = { line ? 1 : 2, { line ? 64 : 16, line ? 1 : 16, 1 } } };
        maker m = maker_new(&a, &o, line ? jumps[k].name
                            : "allen-cahn:nu=1000,noise=0,time=1,dt=0.0005");
        fd_real *x = fd_raw(&a, fd_real, m.s.points), *y = fd_raw(&a, fd_real, m.s.points);
        double var = 0, mean = 0, zero = 0;
        for (int i = 0; i < (line ? MANY : 2); i++) {
            maker_one(&m, i, x, y, a);
            for (ptrdiff_t j = 1; j < m.s.points; j++) {
                const double d = (double)x[j] - (double)x[j - 1];
                var += d * d / MANY / 63, zero += (d == 0) / 63. / MANY;
            }
        }
        if (line)
            NEAR(var, jumps[k].var, .04 * jumps[k].var, "variance of the jumps of %s",
                 jumps[k].name);
        if (k == 2) NEAR(zero, .75, .01, "how many jumps are 0");
        for (ptrdiff_t j = 0; j < m.s.points && !line; j++)
            mean += (double)y[j] / (double)m.s.points;
        const double e = exp(1.), want = mean * e / sqrt(1 + mean * mean * (e * e - 1));
        for (ptrdiff_t j = 0; j < m.s.points && !line; j++)
            NEAR((double)x[j], want, 1e-3 * fabs(want) + TOL(0, 1e-5),
                 "Allen and Cahn without noise or room");
        OK(!st.code, "status");
        test_free();
    }
}

/* Sixteen pressures of 32x32 cells, exp of a Matern field of variance 1: a chain's acceptance. The
 * step that is accepted in three of ten is about 2 times the noise over the largest pressure; so
 * .17 at 3e-3 holds where that is .04, and .075 where it is the median, .086. */
static void mini_observe(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                         fd_arena a)
{
    enum { N = 32 };
    double k[N * N], f[N * N], u[N * N], *most = (double *)(uintptr_t)self;
    for (int e = 0; e < b; e++) {
        for (int i = 0; i < N * N; i++)
            k[i] = exp((double)x[e * s->points + i / N * s->n[1] + i % N]), f[i] = 1;
        pde_darcy *p = pde_darcy_new(&a, N, PDE_HARMONIC, PDE_MULTIGRID, 1e-8, k);
        if (!p) return;
        pde_darcy_solve(p, f, u, a);
        for (int i = 0; i < 16; i++) y[e * 16 + i] = u[(4 + 8 * (i / 4)) * N + 4 + 8 * (i % 4)];
        *most = 0;
        for (int i = 0; i < N * N; i++) *most = fmax(*most, u[i]);
    }
}

static int upwards(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void mini_darcy(void)
{
    enum { WIDE = 64, DRAWS = 200, TRUTHS = 3, BURN = 1200, STEPS = 1500 };
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    /* of a torus of side 2, whose corner has the plane's law */
    fd_space s = fd_grid(&a, 2, (int[]){ WIDE, WIDE }, (double[]){ 2, 2 }, NULL, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .3, 1.5);
    double top = 0, most[DRAWS], y[16], mean = 0;
    fd_obs o = { .s = s, .m = 16, .apply = mini_observe, .self = &top };
    fd_real *x = fd_raw(&a, fd_real, s.points);
    for (int i = 0; i < DRAWS; i++) {
        fd_cov_draw(c, fd_seed(5), i, 1, x, a);
        o.apply(o.self, &s, 1, x, y, a);
        most[i] = top;
    }
    qsort(most, DRAWS, sizeof *most, upwards);
    NEAR(most[DRAWS / 2], .086, .008, "median of the largest pressure");
    for (int i = 0; i < TRUTHS; i++) {
        fd_arena own = a;
        const double sd = i == 1 ? 1e-3 : 3e-3;
        fd_cov_draw(c, fd_seed(5), i, 1, x, own);
        fd_obs_noise(&own, &o, sd);
        fd_obs_draw(&o, fd_seed(6), i, 1, x, y, own);
        fd_mcmc how = { .prior = c, .phi = fd_obs_potential(&own, &o, y), .kind = FD_MCMC_PCN };
        o.apply(o.self, &s, 1, x, most, own);
        how.h = 2.1 * sd / top;
        fd_chain *run = fd_chain_begin(&own, &how, fd_seed(7), i, x);
        long long was = 0;
        for (int k = -BURN; k < STEPS && run; k++) {
            if (!k) was = run->accepted;
            fd_chain_step(run, own);
        }
        if (!run) break;
        const double rate = (double)(run->accepted - was) / STEPS;
        mean += rate / TRUTHS;
        NEAR(rate, .3, .15, "acceptance of pCN, noise %g, step %.3f, largest pressure %.3f", sd,
             how.h, top);
    }
    NEAR(mean, .3, .1, "acceptance over the truths");
    OK(!st.code, "mini-Darcy: %s", st.code ? st.what : "");
    test_free();
}

/* mean and deviation of the source of Laplacian u = x given u at the nodes `at`, with dense
 * matrices, where the equation is solved by Cholesky's method and not by sines */
enum { KN = 21, KP = KN * KN, KSEEN = 60 };
static const double k_noise = 1e-4, k_alpha = 2.2, k_tau = 3;
static void kriging_dense(const ptrdiff_t *at, const double *y, double *mean, double *sd,
                          fd_arena a)
{
    double *L = fd_new(&a, double, KP * KP), *B = fd_raw(&a, double, KP * KP);
    double *A = fd_new(&a, double, KSEEN * KP), *R = fd_new(&a, double, KSEEN * KP);
    double *K = fd_new(&a, double, KSEEN * KP), *S = fd_new(&a, double, KSEEN * KSEEN), z[KSEEN];
    if (!S) return;
    for (int i = 0; i < KP; i++)                           /* - (n + 1)^2 times the stencil */
        for (int j = 0; j < KP; j++) {
            const int far = abs(i / KN - j / KN) + abs(i % KN - j % KN);
            L[i * KP + j] = (KN + 1.) * (KN + 1.) * (far == 0 ? 4 : far == 1 ? -1 : 0);
        }
    fd_cholesky(a.st, KP, L);
    for (int k = 0; k < KP; k++) {                         /* C = B^T B */
        const double u = pde_pi * (k / KN + 1), v = pde_pi * (k % KN + 1), t2 = k_tau * k_tau;
        const double lam = pow(k_tau, 2 * k_alpha - 2) * pow(u * u + v * v + t2, -k_alpha);
        for (int i = 0; i < KP; i++)
            B[k * KP + i] = 2 * sqrt(lam) * sin(u * (i / KN + 1) / (KN + 1))
                          * sin(v * (i % KN + 1) / (KN + 1));
    }
    for (int i = 0; i < KSEEN; i++) {
        double *to = A + i * KP, *r = R + i * KP;
        to[at[i]] = -1;
        fd_solve_lower(KP, L, 0, to), fd_solve_lower(KP, L, 1, to);
        for (int k = 0; k < KP; k++)
            for (int j = 0; j < KP; j++) r[k] += B[k * KP + j] * to[j];
        for (int k = 0; k < KP; k++)
            for (int j = 0; j < KP; j++) K[i * KP + j] += B[k * KP + j] * r[k];
    }
    for (int i = 0; i < KSEEN * KSEEN; i++) {
        S[i] = i / KSEEN == i % KSEEN ? k_noise * k_noise : 0;
        for (int k = 0; k < KP; k++) S[i] += R[i / KSEEN * KP + k] * R[i % KSEEN * KP + k];
    }
    fd_cholesky(a.st, KSEEN, S);
    memcpy(z, y, sizeof z);
    fd_solve_lower(KSEEN, S, 0, z), fd_solve_lower(KSEEN, S, 1, z);
    for (int j = 0; j < KP; j++) {
        double r[KSEEN], var = 0;
        mean[j] = 0;
        for (int i = 0; i < KSEEN; i++) mean[j] += K[i * KP + j] * z[i], r[i] = K[i * KP + j];
        for (int k = 0; k < KP; k++) var += B[k * KP + j] * B[k * KP + j];
        fd_solve_lower(KSEEN, S, 0, r);
        for (int i = 0; i < KSEEN; i++) var -= r[i] * r[i];
        sd[j] = sqrt(var);
    }
}

/* the posterior of the source in PosteriorBench's case, with noise of 1e-4, is kriging */
static void kriging(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    fd_space s = fd_grid(&a, 2, (int[]){ KN, KN }, NULL, (int[]){ FD_DIRICHLET, FD_DIRICHLET }, 1);
    fd_cov *c = fd_cov_power(&a, &s, pow(k_tau, 2 * k_alpha - 2), k_tau, k_alpha);
    fd_real *x = fd_raw(&a, fd_real, KP), *sd = fd_raw(&a, fd_real, KP);
    double y[KSEEN], mean[KP], want[KP], scale = 0;
    ptrdiff_t at[KSEEN];
    int order[KP];
    spec op = { &t_op, OP_POISSON, { 0 } };
    fd_perm(fd_seed(1), KP, order);
    for (int i = 0; i < KSEEN; i++) at[i] = order[i];
    fd_obs o = fd_obs_pick(&a, &s, KSEEN, at);
    fd_obs_noise(&a, &o, k_noise);
    op_wrap(&a, &o, &op, 1, 0);
    fd_cov_draw(c, fd_seed(2), 0, 1, x, a);
    fd_obs_draw(&o, fd_seed(3), 0, 1, x, y, a);
    const fd_posterior *p = fd_posterior_new(&a, NULL, c, &o, y);
    fd_posterior_std(p, sd, a);
    kriging_dense(at, y, mean, want, a);
    OK(!st.code, "status");
    for (int j = 0; j < KP; j++) scale = fmax(scale, fabs(mean[j]));
    for (int j = 0; j < KP && !st.code; j++) {
        NEAR(p->mean[j], mean[j], TOL(1e-8, 5e-3) * scale, "mean of the source at node %d", j);
        NEAR(sd[j], want[j], TOL(1e-8, 5e-3), "deviation of the source at node %d", j);
    }
    test_free();
}

void test_pde(void)
{
    operators();
    images();
    grids();
    made();
    mini_darcy();
    darcy();
    poisson();
    kriging();
    flows();
    radon();
    mogi();
    distances();
}
