/* flow.c -- denoising diffusion operators on the vorticity of a flow, as in [DDO]: trained on 64x64
 * points, drawn on 64x64, 128x128 and 256x256, by two networks, with the reverse equation and with
 * annealed Langevin dynamics.
 *
 *     build/flow [STEPS of each training, 2500 [POINTS of it, 64 or 32 [SEED, 1]]]
 *
 * The data are made here, by `fd data flow`: Navier-Stokes from a random vorticity, at time 8 (in
 * [DDO] the force is random), and lie in out/flow. Networks, samples, flow.png with the samples,
 * spectra.png, and flow.csv land in out/flow/POINTS-SEED; a run that was stopped goes on.
 *
 * Samples are judged by real functions of 64x64 points, which are exact on the finer grids: how far
 * the solver's own answers there are from them is printed. Beside them stand functions that were
 * solved on each grid, Gaussian functions of the data's spectrum, and, for the variance, what the
 * same sampler makes with the exact model of Gaussian data. */
#include "ddo.h"

enum { GRIDS = 3, TRAINED = 2048, WAVES = 16, JUDGED = 9 };
static const int side[GRIDS] = { 64, 128, 256 }, many[GRIDS] = { 96, 24, 8 };
static const int others[GRIDS] = { 512, 192, 96 };         /* real functions to judge by */

#define FLOW "flow:nu=1e-4,time=8,alpha=2,tau=7,force=0,dt="
#define HOW " --cov rbf:l=0.05 --time-law levels --batch 10"
#define FNO "--net fno:modes=12,width=24,coords=none" HOW
#define UNO "--net uno:modes=10,width=16,coords=none" HOW
#define FINE " --process ladder:v1=1e-3,vT=30,T=500"
#define RELEASED " --process ladder:v1=0.01,vT=30,T=500"
#define SDE "--scheme stochastic-heun --times logsnr --steps 30 --batch 8"
#define LANGEVIN "--scheme annealed --times logsnr --steps 120 --corrector scaled:c=0.5 --batch 8"
/* three steps at each level of 6e-6 (v / .01)^2, though v is a variance; start N(0, C), though the
 * first level is N(0, 30 C) */
#define CODED "--scheme annealed --times geometric --steps 499 --corrector ladder:c=6e-6,inner=3" \
              " --start unit --batch 8"

/* Rows with one model share its network. grids: on how many it is drawn; 0: no network, only what
 * the sampler makes with the exact model. */
static const struct {
    const char *name, *model, *file, *train, *sample;
    int grids;
} rows[] = {
    { "FNO, reverse equation", "fno", "sde", FNO FINE, SDE, 3 },
    { "FNO, Langevin", "fno", "langevin", FNO FINE, LANGEVIN, 3 },
    { "U-NO, reverse equation", "uno", "sde", UNO FINE, SDE, 3 },
    { "U-NO, Langevin", "uno", "langevin", UNO FINE, LANGEVIN, 1 },
    { "Langevin as released", "released", "", FNO RELEASED, CODED, 0 },
};
enum { REAL = COUNT(rows), GAUSS, ALL_ROWS };

/* what is told on the command line: points along an axis in training, the seed, and the folder of
 * both */
static int coarse = 64, seed = 1;
static char home[64];

/* ---- Figures of a set of functions ----------------------------------------------------------- */

typedef struct { double energy, variance, gap, flat, spectrum[WAVES]; } figures;

/* flatness -- E d^4 / (E d^2)^2 of differences over a 16th of the domain: 3 for Gaussian ones. */
static double flatness(int n, int b, const fd_real *x)
{
    double two = 0, four = 0;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * n * n; i++) {
        ptrdiff_t j = i % n + n / 16 < n ? i + n / 16 : i + n / 16 - n;
        double d = (double)x[j] - (double)x[i];
        two += d * d, four += d * d * d * d;
    }
    return four * b * n * n / (two * two);
}

static figures figures_of(const fd_space *s, int b, const fd_real *x, int m, const fd_real *real,
                          fd_arena a)
{
    figures f = { 0 };
    double e[WAVES], total = 0, sum = 0;
    fd_spectrum(s, m, real, WAVES, e, a);
    fd_spectrum(s, b, x, WAVES, f.spectrum, a);
    for (int k = 0; k < WAVES; k++) total += e[k], sum += f.spectrum[k];
    for (int k = 1; k <= JUDGED; k++) f.gap += fabs(log10(f.spectrum[k] / e[k])) / JUDGED;
    f.energy = 100 * fd_energy_distance(s, b, x, m, real) / sqrt(total);
    f.variance = sum / total;
    f.flat = flatness(s->n[0], b, x);
    need(a.st);
    return f;
}

/* exact_of -- variance and spectrum of what the sampler would make with the exact model, were the
 * data Gaussian and of the spectrum that they have. */
static figures exact_of(const kit *k, const char *flags, fd_arena a)
{
    figures f = { NAN, 0, 0, NAN, { 0 } };
    args q = flags_read(&a, SAMPLE, flags, NULL), o = settle(&q, k);
    double *var = fd_raw(&a, double, k->s.modes), *t = fd_raw(&a, double, o.steps + 1);
    double e[WAVES] = { 0 };
    need(a.st);
    times_set(k, &o, t, a.st);
    fd_sampler how = sampler_of(&o, &k->p, fd_oracle_gauss(&a, &k->p, NULL, k->c0), t);
    how.cov = k->c0;
    fd_start_law(&how, NULL, var, a);
    fd_exact_law(&how, NULL, var, a);
    need(a.st);
    for (ptrdiff_t i = 0; i < k->s.modes; i++) {
        const int wave = (int)floor(fd_wave(&k->s, i, NULL) + .5);
        f.variance += var[i] / fd_cov_trace(k->c0);
        if (wave < WAVES) f.spectrum[wave] += var[i], e[wave] += k->c0->lam[i];
    }
    for (int w = 1; w <= JUDGED; w++) f.gap += fabs(log10(f.spectrum[w] / e[w])) / JUDGED;
    return f;
}

/* gauss_drawn -- Gaussian functions of the spectrum that a network knows of its data. */
static fd_real *gauss_drawn(fd_arena *a, const kit *k, int g, int n)
{
    const kit *on = kit_on(a, k, (shape){ 2, { side[g], side[g], 1 } });
    fd_real *x = fd_raw(a, fd_real, n * fd_size(&on->s));
    need(a->st);
    fd_cov_draw(on->c0, fd_seed(7), 0, n, x, *a);
    to_file(&on->norm, &on->s, n, x);
    return x;
}

/* real_made -- x: real functions solved on each grid; y: others of 64x64 points on each grid. */
static void real_made(fd_arena *a, const fd_real *x[GRIDS], const fd_real *y[GRIDS])
{
    const fd_space s = square(a, side[0], FD_PERIODIC, 1);
    for (int g = 0; g < GRIDS; g++) {          /* on 256x256 points a longer step is not stable */
        char file[64], what[96];
        const fd_space on = square(a, side[g], FD_PERIODIC, 1);
        const int more = g ? 0 : others[0];
        sprintf(file, "out/flow/real-%d.npy", side[g]);
        sprintf(what, "%s%s", FLOW, side[g] < 256 ? "0.02" : "0.01");
        x[g] = functions_made(a, file, what, side[g], TRAINED, many[g] + more);
        y[g] = x[0] + many[0] * s.points;
        if (!g) continue;
        fd_real *finer = fd_raw(a, fd_real, others[g] * on.points);
        fd_real *back = fd_raw(a, fd_real, many[g] * s.points);
        double off = 0, all = 0;
        need(a->st);
        fd_resample(&s, &on, others[g], y[g], finer, *a);
        fd_resample(&on, &s, many[g], x[g], back, *a);
        for (ptrdiff_t i = 0; i < many[g] * s.points; i++) {
            off += pow((double)back[i] - (double)x[0][i], 2);
            all += pow((double)x[0][i], 2);
        }
        y[g] = finer;
        printf("the solver on %dx%d points is %.1e from that on %dx%d\n", side[g], side[g],
               sqrt(off / all), side[0], side[0]);
    }
}

/* ---- The pictures ---------------------------------------------------------------------------- */

static const char *name_of(int r)
{
    return r < REAL ? rows[r].name : r == REAL ? "real" : "Gaussian, spectrum of the data";
}

/* samples_show -- two functions of some rows, the same ones on each grid, in panels of 128
 * pixels. */
static void samples_show(const char *path, const fd_real *x[ALL_ROWS][GRIDS], fd_arena a)
{
    enum { PANEL = 128, LEFT = 12, TOP = 40, LINE = PANEL + 30, WIDE = 2 * PANEL + PLOT_GAP + 20 };
    static const int order[] = { REAL, 0, 1, 2 };
    static const double most = 0.7;
    fd_real *y = fd_raw(&a, fd_real, PANEL * PANEL);
    plot_canvas c = plot_new(&a, TOP + COUNT(order) * LINE, LEFT + GRIDS * WIDE + 70);
    need(a.st);
    for (int r = 0; r < COUNT(order); r++)
        for (int g = 0; g < GRIDS; g++) {
            char text[64];
            const fd_real *from = x[order[r]][g];
            const int top = TOP + r * LINE, left = LEFT + g * WIDE, n = side[g];
            sprintf(text, "%dx%d", n, n);
            if (!r) plot_caption(&c, 12, left, WIDE - 20, 2, text);
            if (!g) plot_text(&c, top, left, 2, name_of(order[r]));
            for (int i = 0; from && i < 2; i++) {
                const fd_real *one = from + (ptrdiff_t)i * n * n;
                for (int j = 0; j < PANEL * PANEL; j++)
                    y[j] = one[j / PANEL * n / PANEL * n + j % PANEL * n / PANEL];
                plot_image(&c, top + 20, left + i * (PANEL + PLOT_GAP), PANEL, PANEL, y, -most,
                           most, FD_DIVERGING, 1);
            }
        }
    plot_bar(&c, TOP + 20, LEFT + GRIDS * WIDE, PANEL, 14, -most, most, FD_DIVERGING);
    fd_png_save(a.st, path, c.h, c.w, c.rgb);
    need(a.st);
    wrote(path);
}

/* spectra_show -- a plot for each grid. */
static void spectra_show(const char *path, figures f[ALL_ROWS][GRIDS], fd_arena a)
{
    static plot p[GRIDS];
    static char title[GRIDS][64];
    static double wave[WAVES];
    for (int k = 0; k < WAVES; k++) wave[k] = k;
    for (int g = 0; g < GRIDS; g++) {
        sprintf(title[g], "%dx%d points", side[g], side[g]);
        plot_begin(&p[g], 620, 560, title[g], "wave", "energy", 0, 1);
        p[g].lo[1] = 1e-8, p[g].hi[1] = 1;
        plot_line(&p[g], WAVES - 1, wave + 1, f[REAL][g].spectrum + 1, "real", PLOT_MARKED);
        for (int r = 0; r < REAL; r++)
            if (g < rows[r].grids)
                plot_line(&p[g], WAVES - 1, wave + 1, f[r][g].spectrum + 1, name_of(r), PLOT_SOLID);
    }
    plot_row(a.st, GRIDS, p, path, a);
    need(a.st);
    wrote(path);
}

/* ---- The table ------------------------------------------------------------------------------- */

/* table_made -- the figures f of all rows, printed and written to flow.csv. */
static void table_made(const fd_real *x[ALL_ROWS][GRIDS], const fd_real *real[GRIDS],
                       figures f[ALL_ROWS][GRIDS], const figures exact[COUNT(rows)], fd_arena a)
{
    static char text[8192] = "points,row,n,energy,variance,spectrum,flatness,exact_variance,"
                             "exact_spectrum\n";
    const figures none = { NAN, NAN, NAN, NAN, { 0 } };
    puts("\npoints  row                             n    energy  variance  spectrum  flatness"
         "    exact: variance  spectrum");
    for (int g = 0; g < GRIDS; g++) {
        const fd_space on = square(&a, side[g], FD_PERIODIC, 1);
        for (int r = 0; r < ALL_ROWS; r++) {
            const figures *w = r < REAL ? &exact[r] : &none;
            if (!x[r][g] && (g || r >= REAL || rows[r].grids)) continue;
            if (x[r][g]) f[r][g] = figures_of(&on, many[g], x[r][g], others[g], real[g], a);
            const figures v = x[r][g] ? f[r][g] : none;
            const int n = x[r][g] ? many[g] : 0;
            printf("%-6d  %-29s %4d %9.3f %9.3f %9.3f %9.3f %18.3f %9.3f\n", side[g], name_of(r), n,
                   v.energy, v.variance, v.gap, v.flat, w->variance, w->gap);
            sprintf(text + strlen(text), "%d,\"%s\",%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", side[g],
                    name_of(r), n, v.energy, v.variance, v.gap, v.flat, w->variance, w->gap);
        }
    }
    text_save(in_dir(home, "flow.csv"), text);
}

/* told -- the command line. */
static args told(int argc, char **argv)
{
    double v[2] = { coarse, seed };
    args o = settings(argc < 2 ? argc : 2, argv, 1, 2500);
    for (int i = 2; i < argc; i++)
        if (i > 3 || !number(argv[i], i > 2 ? 0 : 32, i > 2 ? 999 : 64, &v[i - 2]))
            die(2, "'%s': expected STEPS POINTS SEED; POINTS is 32 or 64, SEED at most 999",
                argv[i]);
    coarse = (int)v[0], seed = (int)v[1];
    if (v[0] != 32 && v[0] != 64) die(2, "POINTS: %g: expected 32 or 64", v[0]);
    sprintf(home, "out/flow/%d-%d", coarse, seed);
    make_dir(home);
    return o;
}

/* row_made -- the network of row r, unless another row has it, and its samples on each grid. */
static kit *row_made(fd_arena *a, int r, int steps, kit *before, const dataset *d,
                     const fd_real *x[GRIDS])
{
    char file[96], more[80];
    kit *k = before;
    if (!r || strcmp(rows[r].model, rows[r - 1].model)) {
        sprintf(file, "%s.safetensors", rows[r].model);
        sprintf(more, "--steps %d --seed %d", steps, seed);
        args q = flags_read(a, TRAIN, rows[r].train, more);
        k = rows[r].grids ? model_made(a, in_dir(home, file), &q, d) : kit_new(a, &q, d, NULL);
    }
    for (int g = 0; g < rows[r].grids; g++) {
        char flags[512];
        sprintf(file, "%s-%s-%d.npy", rows[r].model, rows[r].file, side[g]);
        sprintf(flags, "%s --seed %d", rows[r].sample, seed);
        x[g] = functions_drawn(a, in_dir(home, file), k, flags, side[g], many[g]);
    }
    return k;
}

int main(int argc, char **argv)
{
    static const fd_real *x[ALL_ROWS][GRIDS], *real[GRIDS];
    static figures f[ALL_ROWS][GRIDS], exact[COUNT(rows)];
    fd_status st;
    const double begin = now();
    start("flow", argv);
    args o = told(argc, argv);
    fd_arena a = arena_make(&o, &st);
    fd_space s = square(&a, coarse, FD_PERIODIC, 1), on = square(&a, side[0], FD_PERIODIC, 1);
    fd_real *fine = functions_made(&a, "out/flow/train.npy", FLOW "0.02", side[0], 0, TRAINED);
    fd_real *train = fd_raw(&a, fd_real, TRAINED * s.points);
    need(&st);
    fd_resample(&on, &s, TRAINED, fine, train, a);
    real_made(&a, x[REAL], real);
    dataset d = data_of(&a, "out/flow/train.npy", &s, TRAINED, train);
    kit *k[COUNT(rows)];
    for (int r = 0; r < COUNT(rows); r++) {
        k[r] = row_made(&a, r, o.train, r ? k[r - 1] : NULL, &d, x[r]);
        exact[r] = exact_of(k[r], rows[r].sample, a);
    }
    for (int g = 0; g < GRIDS; g++) x[GAUSS][g] = gauss_drawn(&a, k[0], g, many[g]);
    table_made(x, real, f, exact, a);
    samples_show(in_dir(home, "flow.png"), x, a);
    spectra_show(in_dir(home, "spectra.png"), f, a);
    printf("%.0f s\n", now() - begin);
    return finish();
}
