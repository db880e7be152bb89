/* posteriorbench.c -- PosteriorBench's Poisson case, where the posterior is known: how near does
 * each method come to it, in that benchmark's own figures?
 *
 * The source x of Laplacian u = x on the unit square, u = 0 on its boundary, has the prior of fd
 * data poisson on 127x127 nodes, with an alpha from U(1.5, 3) and a tau from U(2, 4) for each case;
 * known is u at 128 nodes, with noise of deviation 1e-4. All is Gaussian and linear, so the
 * posterior is kriging. The benchmark itself has a pool of draws of the prior, weighted, for a
 * reference, and networks for the prior; here both are exact, and what is left is the method. Its
 * figures, smaller is better, of 100 draws:
 *
 *     mean, sd   relative L2 error of the pointwise mean and deviation, here against the exact ones
 *     MMD        root of the V-statistic with the kernel 1/5 sum exp(-d^2/(c med)), c = .2, .5, 1,
 *                2, 5, where med is the median of d^2 between the two sets
 *     SWD        mean over 128 directions of W1: directions are random fields (alpha = 2, tau = 3,
 *                Neumann, mean 0) of Euclidean norm 1, functions are divided by the prior's
 *                deviation. It grows with the number of points
 *     spectrum   geometric mean over rings of |P - P'|/(P' + 1e-10), P the mean power of the
 *                Fourier transform
 *
 * build/posteriorbench [CASES, 2]: table, out/posteriorbench.csv, out/posteriorbench.png. The draws
 * of each method and case are kept in out/posteriorbench, and are not made again. See
 * posteriorbench.md. */
#include "posterior.h"
#include "data.h"
#include <time.h>

enum { N = 127, P = N * N, SEEN = 128, DRAWS = 100, WAYS = 128, FIGURES = 5, MOST = 8,
       METHODS = 13 };
static const double SIGMA = 1e-4;

/* A method of fd posterior, how its noise is correlated (NULL: as the prior), its process, steps,
 * rule of times. The weights zeta are the best of a scan of case 0 by half decades; DPS and
 * FunDPS overflow at the next one. */
typedef struct { const char *name, *method, *cov, *process; int steps; const char *times; } row_of;
static const row_of method[METHODS] = {
    { "second exact set", "exact", NULL, "vp", 1, "logsnr" },
    { "Pi-GDM", "pigdm", NULL, "vp", 50, "logsnr" },
    { "Cameron-Martin projection", "project", NULL, "vp", 50, "logsnr" },
    { "split Gibbs", "split:rho=0.03,sweeps=12", NULL, "vp", 10, "logsnr" },
    { "twisted particles", "particles", NULL, "vp", 50, "logsnr" },
    { "DPS with C", "dps:zeta=1e-4", NULL, "vp", 100, "logsnr" },
    { "DAPS with C", "daps:inner=10,h=0.3", NULL, "vp", 20, "logsnr" },
    { "ES-MDA (100)", "esmda:steps=4", NULL, "vp", 1, "logsnr" },
    { "FunDPS as released", "fundps:zeta=3e6", "exp:l=0.005", "ve:smin=0.005,smax=5", 100, "rho" },
    { "DiffusionPDE as released", "diffusionpde:zeta=3e3", "pixel-white", "ve:smin=0.005,smax=5",
      100, "rho" },
    { "DAPS as released", "daps:inner=10,h=0.3,plain=yes", NULL, "vp", 20, "logsnr" },
    { "ECI as released", "eci", NULL, "flow", 50, "uniform" },
    { "prior", "prior", NULL, "vp", 1, "logsnr" } };

/* The equation in modes, and the nodes: what --op poisson does, with its factors kept. */
typedef struct { double mul[P]; int at[SEEN]; } seen;

static void solve(const seen *o, const fd_space *s, int b, fd_real *u, fd_arena a)
{
    fd_to_modes(s, b, u, u, a);
    for (ptrdiff_t k = 0; k < (ptrdiff_t)b * P; k++) u[k] *= (fd_real)o->mul[k % P];
    fd_from_modes(s, b, u, u, a);
}

static void see(const void *self, const fd_space *s, int b, const fd_real *x, double *y, fd_arena a)
{
    const seen *o = self;
    fd_real *u = fd_raw(&a, fd_real, (ptrdiff_t)b * P);
    if (!u) return;
    memcpy(u, x, (size_t)b * P * sizeof *u);
    solve(o, s, b, u, a);
    for (int i = 0; i < b * SEEN; i++) y[i] = (double)u[i / SEEN * P + o->at[i % SEEN]];
}

static void back(const void *self, const fd_space *s, int b, const fd_real *x, const double *w,
                 fd_real *g, fd_arena a)
{
    const seen *o = self;
    (void)x;
    memset(g, 0, (size_t)b * P * sizeof *g);
    for (int i = 0; i < b * SEEN; i++) g[i / SEEN * P + o->at[i % SEEN]] = (fd_real)w[i];
    solve(o, s, b, g, a);
}

/* A case: the problem without a process, and what is known of it. */
typedef struct {
    double alpha, tau;
    problem q;
    fd_real *truth, *mean, *sd, *other;    /* exact mean and deviation, DRAWS exact draws */
    seen *o;
    double off;                            /* of the library's mean from kriging in double */
} bench;

/* kriging -- the exact mean in double, from sums over modes at the nodes. */
static void kriging(const bench *c, double *mean, fd_arena a)
{
    double *E = fd_raw(&a, double, SEEN * P), *S = fd_raw(&a, double, SEEN * SEEN),
           *w = fd_new(&a, double, P);
    double *wave = fd_raw(&a, double, P), *half = fd_new(&a, double, P), z[SEEN];
    need(a.st);
    for (int i = 0; i < P; i++)
        wave[i] = sqrt(2) * sin(pde_pi * (i / N + 1) * (i % N + 1) / (N + 1));
    for (int i = 0; i < SEEN * P; i++) {
        const int k = i % P, at = c->o->at[i / P];
        E[i] = c->o->mul[k] * sqrt(c->q.c0->lam[k]) * wave[k / N * N + at / N]
               * wave[k % N * N + at % N];
    }
    for (int i = 0; i < SEEN * SEEN; i++) {
        S[i] = i / SEEN == i % SEEN ? SIGMA * SIGMA : 0;
        if (i % SEEN <= i / SEEN) S[i] += pde_dot(P, E + i / SEEN * P, E + i % SEEN * P);
    }
    fd_cholesky(a.st, SEEN, S);
    memcpy(z, c->q.y, sizeof z);
    fd_solve_lower(SEEN, S, 0, z), fd_solve_lower(SEEN, S, 1, z);
    for (int k = 0; k < P; k++)
        for (int i = 0; i < SEEN; i++) w[k] += sqrt(c->q.c0->lam[k]) * E[i * P + k] * z[i];
    for (int i = 0; i < P; i++)
        for (int k = 0; k < N; k++) half[i] += w[i / N * N + k] * wave[k * N + i % N];
    for (int i = 0; i < P; i++) {
        mean[i] = 0;
        for (int k = 0; k < N; k++) mean[i] += half[k * N + i % N] * wave[k * N + i / N];
    }
}

/* case_new -- number i; everything but the prior is the same function of i. */
static bench case_new(fd_arena *a, int i)
{
    static const int ends[2] = { FD_DIRICHLET, FD_DIRICHLET };
    bench c = { .alpha = maker_between(fd_stream(fd_seed(1), 'c', (uint32_t)i), 0, 1.5, 3),
                .tau = maker_between(fd_stream(fd_seed(1), 'c', (uint32_t)i), 1, 2, 4) };
    const fd_rng r = fd_stream(fd_seed(2), 'c', (uint32_t)i);
    int *order = fd_raw(a, int, P);
    double *mean = fd_raw(a, double, P), *y = fd_raw(a, double, SEEN), size = 0, d = 0;
    c.q.s = fd_grid(a, 2, (int[]){ N, N }, NULL, ends, 1);
    c.q.c0 = c.q.known = fd_cov_power(a, &c.q.s, pow(c.tau, 2 * c.alpha - 2), c.tau, c.alpha);
    c.q.mean = c.q.middle = fd_new(a, fd_real, P), c.q.y = y;
    c.o = fd_new(a, seen, 1), c.truth = fd_raw(a, fd_real, P), c.sd = fd_raw(a, fd_real, P);
    c.other = fd_raw(a, fd_real, (ptrdiff_t)DRAWS * P);
    need(a->st);
    fd_perm(fd_stream(r, 'o', 0), P, order);
    memcpy(c.o->at, order, sizeof c.o->at);
    for (int k = 0; k < P; k++) { /* -1 over the eigenvalues of the five-point stencil */
        const double p = sin(pde_pi * (k / N + 1) / (2. * (N + 1))),
                     v = sin(pde_pi * (k % N + 1) / (2. * (N + 1)));
        c.o->mul[k] = -.25 / ((N + 1.) * (N + 1.) * (p * p + v * v));
    }
    c.q.o = (fd_obs){
        .s = c.q.s, .m = SEEN, .linear = 1, .apply = see, .transpose = back, .self = c.o
    };
    fd_obs_noise(a, &c.q.o, SIGMA);
    fd_cov_draw(c.q.c0, fd_stream(r, 'x', 0), 0, 1, c.truth, *a);
    fd_obs_draw(&c.q.o, fd_stream(r, 'y', 0), 0, 1, c.truth, y, *a);
    const fd_posterior *p = fd_posterior_new(a, NULL, c.q.c0, &c.q.o, y);
    need(a->st);
    c.mean = p->mean;
    fd_posterior_std(p, c.sd, *a);
    fd_posterior_draw(p, fd_stream(r, 'p', 0), 0, DRAWS, c.other, *a);
    kriging(&c, mean, *a);
    for (int k = 0; k < P; k++) d += pow((double)c.mean[k] - mean[k], 2), size += mean[k] * mean[k];
    for (int k = 0; k < P; k++) c.mean[k] = (fd_real)mean[k];
    c.off = sqrt(d / size);
    need(a->st);
    return c;
}

/* drawn -- DRAWS functions by a method, from its file or anew; returns the seconds they took. */
static double drawn(const bench *c, int number, const row_of *m, fd_real *x, fd_arena a)
{
    static args o;
    char path[128], *end = path + sprintf(path, "out/posteriorbench/%d-%s.npy", number, m->name);
    problem q = c->q;
    for (char *p = path + 21; p < end; p++) if (*p == ' ' || *p == ',') *p = '-';
    if (!access(path, F_OK)) {
        fd_array f = fd_npy_load(&a, path);
        need(a.st);
        if (f.nd != 2 || f.n[0] != DRAWS || f.n[1] != P + 1)
            die(1, "%s: of another experiment: remove it", path);
        for (int i = 0; i < DRAWS; i++)
            memcpy(x + i * P, f.x + (ptrdiff_t)i * (P + 1), P * sizeof *x);
        return (double)f.x[P];
    }
    options_read(&o, POSTERIOR, "posterior --help", 0, NULL);
    o.steps = m->steps, o.batch = 10;
    o.method = spec_read(&t_method, "method", m->method);
    o.process = spec_read(&t_process, "process", m->process);
    o.times = spec_read(&t_times, "times", m->times);
    const fd_cov *noise = q.c0;
    if (m->cov) {
        o.cov = spec_read(&t_cov, "cov", m->cov);
        noise = cov_build(&a, &q.s, &o.cov, NULL, 0);
    }
    need(a.st);
    q.p = process_build(&a, noise, &o.process, 0);
    q.model = fd_oracle_gauss(&a, &q.p, q.mean, q.c0);
    double *t = fd_raw(&a, double, o.steps + 1);
    const clock_t begin = clock();
    fd_real *file = fd_raw(&a, fd_real, (ptrdiff_t)DRAWS * (P + 1));
    fd_times(&q.p, o.times.row, o.times.v[0], o.steps, t, a.st);
    q.t = t;
    need(a.st);
    posterior_draw(&q, &o, fd_stream(fd_seed(4), 'c', (uint32_t)number), DRAWS, x, a);
    const double spent = (double)(clock() - begin) / CLOCKS_PER_SEC;
    for (int i = 0; i < DRAWS; i++) {
        memcpy(file + (ptrdiff_t)i * (P + 1), x + i * P, P * sizeof *x);
        file[(ptrdiff_t)i * (P + 1) + P] = (fd_real)spent;
    }
    fd_npy_save(a.st, path, 2, (int[]){ DRAWS, P + 1 }, file);
    need(a.st);
    return spent;
}

/* ---- The figures ----------------------------------------------------------------------------- */

/* squares -- d [DRAWS][DRAWS], |x_i - y_j|^2, sums over the points. */
static void squares(const fd_real *x, const fd_real *y, double *d, fd_arena a)
{
    fd_real *G = fd_raw(&a, fd_real, DRAWS * DRAWS), *u = fd_raw(&a, fd_real, (ptrdiff_t)DRAWS * P),
            *v = fd_raw(&a, fd_real, (ptrdiff_t)DRAWS * P);
    double nx[DRAWS] = { 0 }, ny[DRAWS] = { 0 };
    need(a.st);
    for (int k = 0; k < P; k++) { /* less a common mean, so that sums do not cancel */
        double m = 0;
        for (int i = 0; i < DRAWS; i++) m += (double)y[i * P + k] / DRAWS;
        for (int i = 0; i < DRAWS; i++) {
            u[i * P + k] = (fd_real)((double)x[i * P + k] - m);
            v[i * P + k] = (fd_real)((double)y[i * P + k] - m);
            nx[i] += pow((double)u[i * P + k], 2), ny[i] += pow((double)v[i * P + k], 2);
        }
    }
    fd_gemm(0, 1, DRAWS, DRAWS, P, 1, u, P, v, P, 0, G, DRAWS, a);
    for (int i = 0; i < DRAWS * DRAWS; i++)
        d[i] = fmax(0, nx[i / DRAWS] + ny[i % DRAWS] - 2 * (double)G[i]);
}

static double mmd(const fd_real *x, const fd_real *y, fd_arena a)
{
    static const double c[5] = { .2, .5, 1, 2, 5 };
    enum { PAIRS = DRAWS * DRAWS };
    double *d = fd_raw(&a, double, 4 * PAIRS), sum = 0;
    need(a.st);
    squares(x, x, d, a), squares(y, y, d + PAIRS, a), squares(x, y, d + 2 * PAIRS, a);
    memcpy(d + 3 * PAIRS, d + 2 * PAIRS, PAIRS * sizeof *d);
    qsort(d + 3 * PAIRS, PAIRS, sizeof *d, by_value);
    const double med = .5 * (d[3 * PAIRS + PAIRS / 2] + d[3 * PAIRS + PAIRS / 2 - 1]);
    for (int i = 0; i < 3 * PAIRS; i++)
        for (int k = 0; k < 5; k++)
            sum += (i < 2 * PAIRS ? 1 : -2) * exp(-d[i] / (c[k] * med)) / 5 / PAIRS;
    return sqrt(fmax(0, sum));
}

static double swd(const bench *c, const fd_real *x, const fd_real *y, fd_arena a)
{
    const fd_space s = fd_grid(&a, 2, (int[]){ N, N }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, 1);
    fd_cov *cov = fd_cov_power(&a, &s, 1, 3, 2);
    fd_real *w = fd_raw(&a, fd_real, WAYS * P), *to = fd_raw(&a, fd_real, 2 * WAYS * DRAWS);
    double sum = 0, v[2][DRAWS];
    need(a.st);
    cov->lam[0] = 0;
    fd_cov_draw(cov, fd_seed(0), 0, WAYS, w, a);
    const double scale = sqrt(fd_cov_trace(c->q.c0));
    fd_gemm(0, 1, WAYS, DRAWS, P, 1, w, P, x, P, 0, to, DRAWS, a);
    fd_gemm(0, 1, WAYS, DRAWS, P, 1, w, P, y, P, 0, to + WAYS * DRAWS, DRAWS, a);
    for (int k = 0; k < WAYS; k++) {
        const double norm = sqrt(fd_inner(&s, w + k * P, w + k * P) * P) * scale;
        for (int i = 0; i < 2 * DRAWS; i++)
            v[i / DRAWS][i % DRAWS] = (double)to[(i / DRAWS * WAYS + k) * DRAWS + i % DRAWS] / norm;
        for (int i = 0; i < 2; i++) qsort(v[i], DRAWS, sizeof v[i][0], by_value);
        for (int i = 0; i < DRAWS; i++) sum += fabs(v[0][i] - v[1][i]) / DRAWS / WAYS;
    }
    return sum;
}

/* power -- mean power of the transform in rings of |k|/N from i/N to (i + 1)/N, up to 1/2. */
static void power(const fd_real *x, double e[N / 2], fd_arena a)
{
    const int n[2] = { N, N }, half = N / 2 + 1;
    fd_cplx *z = fd_raw(&a, fd_cplx, (ptrdiff_t)DRAWS * N * half);
    double count[N / 2] = { 0 };
    need(a.st);
    memset(e, 0, N / 2 * sizeof *e);
    fd_rfftn(2, n, DRAWS, 1, x, z, a);
    for (int i = 0; i < N * half; i++) {
        const int u = i / half <= N / 2 ? i / half : i / half - N, v = i % half,
                  ring = (int)hypot(u, v), twice = v ? 2 : 1;
        if (ring >= N / 2) continue;
        count[ring] += twice;
        for (int k = 0; k < DRAWS; k++)
            e[ring] += twice * (pow((double)z[k * N * half + i].re, 2)
                                + pow((double)z[k * N * half + i].im, 2)) / DRAWS;
    }
    for (int i = 0; i < N / 2; i++) e[i] /= count[i];
}

static void figures(const bench *c, const fd_real *x, fd_real *mean, fd_real *sd, double f[FIGURES],
                    fd_arena a)
{
    double e[N / 2], want[N / 2], log_sum = 0;
    moments_of(P, DRAWS, x, mean, sd);
    for (int i = 0; i < P; i++) sd[i] = (fd_real)((double)sd[i] * sqrt(1 - 1. / DRAWS));
    f[0] = apart(P, mean, c->mean) / size_of(P, c->mean);
    f[1] = apart(P, sd, c->sd) / size_of(P, c->sd);
    f[2] = mmd(x, c->other, a), f[3] = swd(c, x, c->other, a);
    power(x, e, a), power(c->other, want, a);
    for (int i = 0; i < N / 2; i++)
        log_sum += log(fmax(1e-300, fabs(e[i] - want[i]) / (want[i] + 1e-10))) / (N / 2);
    f[4] = exp(log_sum);
}

/* ---- The picture, and all of it -------------------------------------------------------------- */

enum { TILE = 127, STEP = TILE + 8, TOP = 50, COLS = 8 };

/* tile -- the values in 40 shades, which keeps the file small. */
static void tile(const plot_canvas *p, int y, int x, const fd_real *v, double lo, double hi,
                 int map)
{
    static fd_real u[P];
    for (int i = 0; i < P; i++)
        u[i] = (fd_real)(lo + (hi - lo) / 40 * (floor(40 * ((double)v[i] - lo) / (hi - lo)) + .5));
    plot_image(p, y, x, N, N, u, lo, hi, map, 1);
}

/* column -- mean above deviation. */
static void column(const plot_canvas *p, int i, const char *name, const fd_real *mean,
                   const fd_real *sd, double most, double top)
{
    const int y = TOP + i / COLS * (2 * STEP + 34), x = 60 + i % COLS * STEP;
    plot_caption(p, y - 14, x, TILE, 1, name);
    tile(p, y, x, mean, -most, most, FD_DIVERGING);
    tile(p, y + STEP, x, sd, 0, top, FD_VIRIDIS);
}

/* solution -- u of the truth, below it, and the nodes where it is known. */
static void solution(const plot_canvas *p, const bench *c, fd_arena a)
{
    fd_real *u = fd_raw(&a, fd_real, P);
    double most = 0;
    need(a.st);
    memcpy(u, c->truth, P * sizeof *u);
    solve(c->o, &c->q.s, 1, u, a);
    for (int k = 0; k < P; k++) most = fmax(most, fabs((double)u[k]));
    tile(p, TOP + STEP, 60 + STEP, u, -most, most, FD_DIVERGING);
    for (int i = 0; i < SEEN; i++)
        plot_box(p, TOP + STEP + c->o->at[i] / N - 1, 60 + STEP + c->o->at[i] % N - 1, 2, 2,
                 plot_ink, 1);
}

int main(int argc, char **argv)
{
    static args o;
    static double sum[METHODS][FIGURES + 1];
    static char lines[8192] = "method,case,alpha,tau,mean,sd,mmd,swd,spectrum,seconds\n";
    fd_status st;
    start("posteriorbench", argv);
    const int cases = argc > 1 ? atoi(argv[1]) : 2;
    if (cases < 1 || cases > MOST) die(2, "CASES: from 1 to %d", MOST);
    options_read(&o, POSTERIOR, "posterior --help", 0, NULL);
    fd_arena a = arena_make(&o, &st);
    fd_real *x = fd_raw(&a, fd_real, (ptrdiff_t)DRAWS * P), *mean = fd_raw(&a, fd_real, 2 * P);
    plot_canvas p = plot_new(&a, TOP + 2 * (2 * STEP + 34), 60 + COLS * STEP + 74);
    double most = 0, top = 0;
    make_dir("out/posteriorbench");
    need(&st);
    for (int i = 0; i < cases; i++) {
        fd_arena own = a;
        const bench c = case_new(&own, i);
        printf("case %d: alpha %.3f, tau %.3f; the library's mean is %.1e off kriging in double; "
               "deviation %.3f of the prior's\n",
               i, c.alpha, c.tau, c.off, size_of(P, c.sd) / sqrt(fd_cov_trace(c.q.c0)));
        if (!i) {
            for (int k = 0; k < P; k++)
                most = fmax(most, fabs((double)c.truth[k])), top = fmax(top, 2 * (double)c.sd[k]);
            column(&p, 0, "exact mean, sd", c.mean, c.sd, most, top);
            column(&p, 1, "truth; u and nodes", c.truth, c.sd, most, top);
            solution(&p, &c, own);
        }
        for (int m = 0; m < METHODS; m++) {
            double f[FIGURES + 1];
            f[FIGURES] = drawn(&c, i, &method[m], x, own);
            figures(&c, x, mean, mean + P, f, own);
            if (!i) column(&p, m + 2, method[m].name, mean, mean + P, most, top);
            sprintf(lines + strlen(lines), "%s,%d,%.4f,%.4f", method[m].name, i, c.alpha, c.tau);
            for (int k = 0; k <= FIGURES; k++)
                sum[m][k] += f[k] / cases, sprintf(lines + strlen(lines), ",%.4g", f[k]);
            strcat(lines, "\n");
            printf("  %-26s %.4f / %.4f / %.4f / %.3f / %.4f  %.1f s\n", method[m].name, f[0], f[1],
                   f[2], f[3], f[4], f[5]),
                fflush(stdout);
        }
    }
    printf("mean of %d cases: mean / sd / MMD / SWD / spectrum\n", cases);
    for (int m = 0; m < METHODS; m++)
        printf("  %-26s %.4f / %.4f / %.4f / %.3f / %.4f  %.1f s\n", method[m].name, sum[m][0],
               sum[m][1], sum[m][2], sum[m][3], sum[m][4], sum[m][5]);
    plot_bar(&p, TOP, 62 + COLS * STEP, TILE, 14, -most, most, FD_DIVERGING);
    plot_bar(&p, TOP + STEP, 62 + COLS * STEP, TILE, 14, 0, top, FD_VIRIDIS);
    plot_text(&p, TOP + TILE / 2 - 8, 4, 2, "mean"),
        plot_text(&p, TOP + STEP + TILE / 2 - 8, 4, 2, "sd");
    fd_png_save(&st, "out/posteriorbench.png", p.h, p.w, p.rgb),
        fd_text_save(&st, "out/posteriorbench.csv", lines);
    need(&st);
    wrote("out/posteriorbench.png"), wrote("out/posteriorbench.csv");
    return finish();
}
