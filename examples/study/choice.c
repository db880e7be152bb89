/* choice.c -- which covariance should the noise have? Five choices of C, and two that are no law on
 * function space, for three laws of data. The score is exact, so what is left is the choice, the
 * number of steps and the last time; --train 2000 trains a network for each row, too. It teaches:
 *
 *   exact score: any C no smoother than the data is as good as their own to 3 %: the error is of
 *   the steps;
 *   too smooth, and N(0, v C) lacks what m(tmax) leaves of high modes: 2.5 to 9 times the error;
 *   a C of finitely many modes (band, empirical on 64 points) lacks what else rough data have: 2.8
 *   times;
 *   white noise leaves v(tmin) in each mode: W2 grows with the grid; iid pixels: a law for each;
 *   networks (2000 steps, seeds 1 to 3): on their own grid the too smooth alone loses, the rest is
 *   chance; on 4 times the points the data's own C keeps W2 to 2 %, noise that is rougher does not:
 *   1.1 to 4 times as much.
 *
 * Exit status 1 where W2 depends on the number of points and should not, or should and does not. */
#include "common.h"
#include "plot.h"

enum { SIZES = 5, LAWS = 3, CHOICES = 7, BASE = 64, PARTS = 128, DRAWS = 256, TRAINED = 512,
       LAWFUL = 5 };
static const int size_of[SIZES] = { 16, 64, 256, 1024, 4096 };
static const struct { const char *name, *spec; double mean; } laws[LAWS] = {
    { "smooth", "rbf:l=0.1", 0 }, { "rough", "exp:l=0.2", 0 },
    { "mixture", "matern:nu=1.5,l=0.2,var=0.2", 1 } };
/* The mixture is of two laws at +-mean e_1. */

/* no spec: the covariance of the data; that of some draws of them */
enum { OWN, EMPIRICAL };
static const struct { const char *name, *spec; } choices[CHOICES] = {
    { "the data's own", NULL }, { "empirical", NULL },
    { "band-limited white", "white:s=0.124,kmax=32" },
    { "too rough", "power:alpha=0.6,tau=6.2832,var=1" }, { "too smooth", "rbf:l=0.3" },
    { "white", "white:s=0.125" }, { "pixel white", "pixel-white" } };

/* A law of data on a grid: N(0, within), or half at +mean and half at -mean, along mode 1. */
typedef struct { fd_space s; fd_cov *within, *all; fd_real *means; double mean; } truth;

static truth truth_on(fd_arena *a, int law, int n)
{
    truth d = { .mean = laws[law].mean };
    spec c = spec_read(&t_cov, "law", laws[law].spec);
    d.s = fd_grid(a, 1, &n, NULL, NULL, 1);
    d.within = cov_build(a, &d.s, &c, NULL, 0);
    d.all = cov_build(a, &d.s, &c, NULL, 0);
    d.means = fd_new(a, fd_real, 2 * n);
    need(a->st);
    d.all->lam[1] += d.mean * d.mean;
    for (int i = 0; i < 2; i++) {
        d.means[i * n + 1] = (fd_real)(i ? -d.mean : d.mean);
        fd_from_modes(&d.s, 1, d.means + i * n, d.means + i * n, *a);
    }
    return d;
}

static void truth_draw(const truth *d, fd_rng r, int m, fd_real *x, fd_arena a)
{
    ptrdiff_t n = d->s.points;
    fd_cov_draw(d->within, r, 0, m, x, a);
    for (int i = 0; i < m; i++) {
        const fd_real *mean = d->means + n * fd_index(fd_stream(r, 'c', 0), (uint64_t)i, 2);
        for (ptrdiff_t j = 0; j < n; j++) x[i * n + j] += mean[j];
    }
}

static fd_cov *noise_on(fd_arena *a, int choice, const truth *d, const truth *base,
                        ptrdiff_t points)
{
    if (choice == EMPIRICAL) {
        fd_real *x = fd_raw(a, fd_real, DRAWS * base->s.points);
        need(a->st);
        truth_draw(base, fd_seed(11), DRAWS, x, *a);
        return fd_cov_on(a, fd_cov_empirical(a, &base->s, DRAWS, x, 1e-4, NULL), &d->s);
    }
    if (choice == OWN) return d->all;
    spec c = spec_read(&t_cov, "choice", choices[choice].spec);
    return cov_build(a, &d->s, &c, NULL, points);
}

/* ---- Quantiles ------------------------------------------------------------------------------- */

static double quantile(double u, double sd, double mean)          /* of N(+-mean, sd^2) by halves */
{
    double lo = -mean - 9 * sd, hi = mean + 9 * sd, w = sd * sqrt(2);
    for (int i = 0; i < 80; i++) {
        double x = (lo + hi) / 2, p = (erfc((mean - x) / w) + erfc(-(mean + x) / w)) / 4;
        if (p < u) lo = x; else hi = x;
    }
    return (lo + hi) / 2;
}

static int by_size(const void *x, const void *y)
{
    fd_real a = *(const fd_real *)x, b = *(const fd_real *)y;
    return (a > b) - (a < b);
}

/* sorted_w2 -- squared W2 of m numbers to mode k of the data, quantile by quantile; x is sorted. */
static double sorted_w2(const truth *d, ptrdiff_t k, int m, fd_real *x)
{
    double sum = 0, sd = sqrt(d->within->lam[k]), mean = k == 1 ? d->mean : 0;
    qsort(x, (size_t)m, sizeof *x, by_size);
    for (int i = 0; i < m; i++) {
        double e = (double)x[i] - quantile((i + 0.5) / m, sd, mean);
        sum += e * e / m;
    }
    return sum;
}

/* ---- The exact score ------------------------------------------------------------------------- */

/* exact -- W2, and its square by mode, w2[modes]. Without noise in the scheme a step acts on each
 * mode alone: affine where the data are Gaussian, so that the law is known, and monotone in mode 1
 * of the mixture, so that quantiles of the start become quantiles of the end. */
static double exact(int law, int choice, int n, int denoise, const args *o, double *w2, fd_arena a)
{
    truth d = truth_on(&a, law, n), base = truth_on(&a, law, BASE);
    fd_cov *was = noise_on(&a, choice, &d, &base, BASE);
    fd_process p = fd_vp(noise_on(&a, choice, &d, &base, 0), 0.1, 20);
    fd_process learned = fd_vp(was, 0.1, 20);
    double *t = fd_raw(&a, double, o->steps + 1), *var = fd_raw(&a, double, n), sum = 0;
    int b = d.mean > 0 ? PARTS : 1;
    need(a.st);
    fd_times(&p, o->times.row, o->times.v[0], o->steps, t, a.st);
    fd_sampler how = { .p = &p, .t = t, .steps = o->steps, .scheme = FD_DDIM, .denoise = denoise };
    how.model = b == 1 ? fd_oracle_gauss(&a, &learned, NULL, d.within)
                       : fd_oracle_mix(&a, &learned, 2, (double[]){ 0.5, 0.5 }, d.means,
                                       (const fd_cov *[]){ d.within, d.within });
    fd_start_law(&how, NULL, var, a);
    if (b == 1) fd_exact_law(&how, NULL, var, a);
    fd_run *run = b > 1 ? fd_begin(&a, &how, fd_seed(1), 0, b) : NULL;
    fd_real *u = fd_raw(&a, fd_real, (ptrdiff_t)b * n), *one = fd_raw(&a, fd_real, b);
    need(a.st);
    for (int i = 0; i < b; i++) {
        for (int k = 0; k < n; k++) u[i * n + k] = (fd_real)sqrt(var[k]);
        if (b > 1) u[i * n + 1] = (fd_real)quantile((i + 0.5) / b, sqrt(var[1]), 0);
    }
    if (run) fd_from_modes(&d.s, b, u, run->x, a);
    while (fd_step(run, a)) { }
    if (run) fd_to_modes(&d.s, b, run->x, u, a);
    need(a.st);
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < b; i++) one[i] = u[i * n + k];
        double e = fabs((double)one[0]) - sqrt(d.within->lam[k]);
        w2[k] = b > 1 && k == 1 ? sorted_w2(&d, 1, b, one) : e * e;
        sum += w2[k];
    }
    return sqrt(sum);
}

/* ---- A network ------------------------------------------------------------------------------- */

/* trained -- W2 of samples of a network that saw BASE points, on BASE and on 4 BASE points; floor:
 * that of as many exact draws. */
static void trained(int law, int choice, const args *o, double got[2], double floor[2], fd_arena a)
{
    static curve c;
    args q;
    enum { M = 4096 };
    truth base = truth_on(&a, law, BASE);
    options_read(&q, TRAIN, "", 0, NULL);
    q.cov = spec_read(&t_cov, "", "white");
    q.process = spec_read(&t_process, "", "vp");
    q.precond = spec_read(&t_precond, "", "none");
    q.predict = spec_read(&t_predict, "", "v");
    q.net = spec_read(&t_net, "", "fno:width=24,layers=3");
    q.steps = o->train;
    q.seed = o->seed;
    q.out = NULL;
    q.quiet = 1;
    fd_real *data = fd_raw(&a, fd_real, M * BASE);
    need(a.st);
    truth_draw(&base, fd_seed(3), M, data, a);
    dataset d = data_array("data", &base.s, M, data);
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    kit *k = kit_new(&a, &q, &d, NULL);
    k->noise = noise_on(&a, choice, &base, &base, 0);
    kit_close(&a, k, &k->s);
    need(a.st);
    memset(&c, 0, sizeof c);
    int sig = train(k, &d, &q, &c, a);
    if (sig) die(128 + sig, "stopped");
    options_read(&q, SAMPLE, "", 0, NULL);
    q.scheme.row = FD_DDIM;
    q.times = o->times;
    q.steps = o->steps;
    q.denoise = 0;
    for (int g = 0; g < 2; g++) {
        fd_arena m = a;
        int n = BASE << (2 * g);
        truth there = truth_on(&m, law, n);
        kit *on = fd_new(&m, kit, 1);
        fd_real *x = fd_raw(&m, fd_real, TRAINED * n), *one = fd_raw(&m, fd_real, TRAINED);
        need(m.st);
        *on = *k;
        on->s = there.s;
        on->noise = noise_on(&m, choice, &there, &base, 0);
        kit_close(&m, on, &base.s);
        for (int e = 0; e < 2; e++) {
            double sum = 0;
            if (e) truth_draw(&there, fd_seed(4), TRAINED, x, m);
            else sample(on, &q, TRAINED, x, 0, 0, NULL, m);
            fd_to_modes(&there.s, TRAINED, x, x, m);
            need(m.st);
            for (int j = 0; j < n; j++) {
                for (int i = 0; i < TRAINED; i++) one[i] = x[i * n + j];
                sum += sorted_w2(&there, j, TRAINED, one);
            }
            *(e ? &floor[g] : &got[g]) = sqrt(sum);
        }
    }
}

/* ---- The study ------------------------------------------------------------------------------- */

static const char *const cols[] = { "law", "choice", "points", "w2", "w2_denoised", "w2_trained",
                                    "w2_exact_draws" };
static double x[SIZES], y[LAWS][CHOICES][SIZES], mode[LAWS][CHOICES][BASE], wave[BASE],
    net[LAWS][CHOICES + 1][2], out[LAWS * CHOICES * SIZES][COUNT(cols)];
static plot p[3 * LAWS];                   /* W2 by points, by mode; of networks */
static int rows, ok = 1;

/* compare -- a choice for a law: its line of the table, its rows of the file, its curves. */
static void compare(int l, int c, const args *o, fd_arena a)
{
    /* some lie on others */
    static const int style[CHOICES] = { PLOT_MARKED, PLOT_DASHED, PLOT_DOTTED, PLOT_DASHED,
                                        PLOT_MARKED, PLOT_MARKED, PLOT_MARKED };
    static double w2[4096];
    double *got = net[l][c], *floor = net[l][CHOICES], clean = 0;
    printf("%-20s", choices[c].name);
    for (int j = 0; j < SIZES; j++) {
        y[l][c][j] = exact(l, c, size_of[j], 0, o, w2, a);
        for (int k = 0; k < BASE && size_of[j] == BASE; k++)
            mode[l][c][k] = k + 1 < BASE ? sqrt(w2[k]) : NAN;
        clean = exact(l, c, size_of[j], 1, o, w2, a);
        printf("%9.4f", y[l][c][j]);
        fflush(stdout);
        memcpy(out[rows++], (double[]){ l, c, size_of[j], y[l][c][j], clean, NAN, NAN },
               sizeof out[0]);
    }
    double grows = y[l][c][SIZES - 1] / y[l][c][SIZES - 2];
    ok &= (fabs(grows - 1) < 0.05) == (c < LAWFUL);
    printf("%10.3f%9.4f", grows, clean);
    if (o->train > 0) {
        trained(l, c, o, got, floor, a);
        printf("       %7.4f%7.4f     %7.4f%7.4f", got[0], got[1], floor[0], floor[1]);
        for (int j = 0; j < 2; j++) {
            out[rows - SIZES + 1 + j][5] = got[j];
            out[rows - SIZES + 1 + j][6] = floor[j];
        }
    }
    puts("");
    /* the legend: where there is room */
    plot_line(&p[l], SIZES, x, y[l][c], "", style[c]);
    plot_line(&p[LAWS + l], BASE - 1, wave, mode[l][c], l == 1 ? choices[c].name : "", style[c]);
    plot_line(&p[2 * LAWS + l], 2, x + 1, got, "", style[c]);
}

int main(int argc, char **argv)
{
    static args o;
    fd_status st;
    start("choice", argv);
    options_read(&o, CHOICE, "choice --help", argc - 1, argv + 1);
    if (o.help) { options_help(CHOICE); return finish(); }
    fd_arena a = arena_make(&o, &st);
    make_dir(o.outdir);
    for (int j = 0; j < SIZES; j++) x[j] = size_of[j];
    for (int k = 0; k < BASE; k++) wave[k] = (k + 1) / 2;
    printf("W2 to the data, exact score, ddim, %d steps; growth: the last over the one before;\n"
           "then: with a final D\n", o.steps);
    for (int l = 0; l < LAWS; l++) {
        printf("\n%-20s", laws[l].name);
        for (int j = 0; j < SIZES; j++) printf("%9d", size_of[j]);
        printf("    growth%9d%s", size_of[SIZES - 1], o.train > 0 ? "   trained:  64    256" : "");
        puts(o.train > 0 ? "   draws:  64    256" : "");
        plot_begin(&p[l], 520, 400, laws[l].name, "points", "W2 to the data", 1, 1);
        plot_begin(&p[LAWS + l], 520, 400, "", "wavenumber", "W2 of a mode", 1, 1);
        plot_begin(&p[2 * LAWS + l], 520, 400, "", "points", "W2 of a network", 1, 1);
        for (int c = 0; c < CHOICES; c++) compare(l, c, &o, a);
        plot_line(&p[2 * LAWS + l], 2, x + 1, net[l][CHOICES], l ? "" : "exact draws", PLOT_DOTTED);
        p[LAWS + l].lo[1] = l == 1 ? 1e-7 : 1e-6;
    }
    puts(ok ? "\nW2 does not depend on the grid, but for white noise: pass"
            : "\nW2 depends on the grid where it should not, or not where it should: FAIL");
    plot_grid(&st, o.train > 0 ? 3 : 2, LAWS, p, in_dir(o.outdir, "choice.png"), a);
    fd_csv_save(&st, in_dir(o.outdir, "choice.csv"), COUNT(cols), cols, rows, out[0]);
    need(&st);
    wrote(in_dir(o.outdir, "choice.png"));
    wrote(in_dir(o.outdir, "choice.csv"));
    int status = finish();
    return status ? status : !ok;
}
