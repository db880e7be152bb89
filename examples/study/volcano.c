/* volcano.c -- phases of a radar above a volcano, as in [DDO], and the noise that they are learned
 * with: functions (cos, sin) of a wrapped phase on 48x48 points, made here by `fd data volcano`.
 *
 *     build/volcano [STEPS of each training, 1500]
 *
 * The code that was released with [DDO] calls its noise RBF, but its kernel is exp(-r / 2 s^2),
 * without the square of the distance: at s = .05 the exponential kernel of length .005, next to
 * white. Both are trained the same. Judged as in [DDO]: circular variance and skewness of each
 * image, and the Wasserstein distance of their laws to those of real images, beside what other real
 * images score. Two more figures say what the noise leaves to the network: the variance of the data
 * over that of the noise at the highest level, in the largest waves and in the finest. What is not
 * far below 1 is never covered: there samples have the Gaussian law that they start from.
 * Everything lands in out/volcano; a run that was stopped goes on. */
#include "ddo.h"

enum { SIDE = 48, POINTS = SIDE * SIDE, TRAINED = 2048, MANY = 128, OTHERS = 1024, SETS = 4,
       BINS = 24, SHOW = 6 };

#define NET "--net fno:modes=12,width=24,stencil=3 --time-law levels --batch 8" \
            " --process ladder:v1=0.01,vT=30,T=500"
#define RBF " --cov rbf:l=0.05"
#define CODED " --cov exp:l=0.005"
#define SDE "--scheme stochastic-heun --times logsnr --steps 30 --batch 8"

static const struct { const char *name, *model, *train, *sample; } rows[] = {
    { "RBF, l = .05", "rbf", NET RBF, SDE },
    { "RBF as released", "coded", NET CODED, SDE },
};
enum { REAL = COUNT(rows), ALL_ROWS };

/* ---- Circular statistics --------------------------------------------------------------------- */

/* circular -- of the phases of an image: variance 1 - R1, and skewness
 * R2 sin(T2 - 2 T1) / (1 - R1)^(3/2), where Rp e^(i Tp) is the mean of e^(i p phase);
 * radius: the mean of |(cos, sin)|, which is 1 for phases. */
static void circular(const fd_real *x, double *variance, double *skewness, double *radius)
{
    double c[2] = { 0 }, s[2] = { 0 };
    *radius = 0;
    for (int i = 0; i < POINTS; i++) {
        const double phase = atan2((double)x[POINTS + i], (double)x[i]);
        for (int p = 0; p < 2; p++) {
            c[p] += cos((p + 1) * phase) / POINTS;
            s[p] += sin((p + 1) * phase) / POINTS;
        }
        *radius += hypot((double)x[i], (double)x[POINTS + i]) / POINTS;
    }
    const double left = 1 - hypot(c[0], s[0]);
    *variance = left;
    *skewness = hypot(c[1], s[1]) * sin(atan2(s[1], c[1]) - 2 * atan2(s[0], c[0])) / pow(left, 1.5);
}

/* wasserstein -- W1 of two sets of numbers, the integral of |F - G|; both are sorted. */
static double wasserstein(int n, double *x, int m, double *y)
{
    double sum = 0, at = 0;
    qsort(x, (size_t)n, sizeof *x, by_value);
    qsort(y, (size_t)m, sizeof *y, by_value);
    for (int i = 0, j = 0; i < n || j < m;) {
        const double next = j == m || (i < n && x[i] < y[j]) ? x[i] : y[j];
        if (i + j) sum += (next - at) * fabs((double)i / n - (double)j / m);
        at = next;
        while (i < n && x[i] <= at) i++;
        while (j < m && y[j] <= at) j++;
    }
    return sum;
}

typedef struct {
    int n;
    double variance[OTHERS], skewness[OTHERS], radius, w_var, w_skew, energy;
} figures;

static void figures_of(figures *f, const fd_space *s, int n, const fd_real *x, figures *real,
                       const fd_real *y)
{
    f->n = n, f->radius = 0;
    for (int i = 0; i < n; i++) {
        double r;
        circular(x + i * 2 * POINTS, &f->variance[i], &f->skewness[i], &r);
        f->radius += r / n;
    }
    if (!real) return;
    f->w_var = wasserstein(n, f->variance, real->n, real->variance);
    f->w_skew = wasserstein(n, f->skewness, real->n, real->skewness);
    f->energy = fd_energy_distance(s, n, x, MANY, y);
}

/* left -- variance of the data over that of the noise at the highest level, in a range of waves. */
static double left(const kit *k, double from, double to)
{
    double data = 0, noise = 0;
    for (ptrdiff_t i = 0; i < k->s.modes; i++) {
        const double wave = fd_wave(&k->s, i, NULL);
        if (wave < from || wave > to) continue;
        data += k->c0->lam[i];
        noise += fd_law(&k->p, k->p.tmax, i).v * k->noise->lam[i];
    }
    return data / noise;
}

/* ---- The pictures ---------------------------------------------------------------------------- */

/* wheel -- a phase as a colour, the same at -pi and pi. */
static void wheel(double phase, unsigned char rgb[3])
{
    static const double from[3] = { 0, -2.0944, 2.0944 };
    for (int c = 0; c < 3; c++) rgb[c] = (unsigned char)(127.5 + 110 * cos(phase + from[c]));
}

static void samples_show(const char *path, const fd_real *const x[ALL_ROWS], fd_arena a)
{
    enum { ZOOM = 3, PANEL = SIDE * ZOOM, LEFT = 12, TOP = 10, LINE = PANEL + 30 };
    unsigned char rgb[3];
    const int wide = plot_across(SHOW, SIDE, ZOOM), key_at = LEFT + wide + 16;
    plot_canvas c = plot_new(&a, TOP + ALL_ROWS * LINE, key_at + 60);
    need(a.st);
    for (int r = 0; r < ALL_ROWS; r++) {
        const int is = r ? r - 1 : REAL, top = TOP + r * LINE + 20;
        plot_text(&c, top - 20, LEFT, 2, is == REAL ? "real" : rows[is].name);
        for (int i = 0; i < SHOW; i++)
            for (int j = 0; j < PANEL * PANEL; j++) {
                const fd_real *one = x[is] + i * 2 * POINTS;
                const fd_real *at = one + j / PANEL / ZOOM * SIDE + j % PANEL / ZOOM;
                wheel(atan2((double)at[POINTS], (double)at[0]), rgb);
                plot_dot(&c, top + j / PANEL, LEFT + i * (PANEL + PLOT_GAP) + j % PANEL, rgb);
            }
    }
    for (int i = 0; i < PANEL; i++) {
        wheel(3.14159 * (1 - 2 * (i + .5) / PANEL), rgb);
        plot_box(&c, TOP + 20 + i, key_at, 1, 14, rgb, 1);
    }
    plot_text(&c, TOP + 20, key_at + 20, 2, "pi");
    plot_text(&c, TOP + 20 + PANEL - 14, key_at + 20, 2, "-pi");
    fd_png_save(a.st, path, c.h, c.w, c.rgb);
    need(a.st);
    wrote(path);
}

/* histograms_show -- densities of both statistics. */
static void histograms_show(const char *path, const figures f[ALL_ROWS], fd_arena a)
{
    static const double lo[2] = { 0, -0.6 }, hi[2] = { 1, 0.6 };
    static double at[2][BINS], density[2][ALL_ROWS][BINS];
    static plot p[2];
    plot_begin(&p[0], 700, 520, "circular variance of an image", "variance", "density", 0, 0);
    plot_begin(&p[1], 700, 520, "circular skewness of an image", "skewness", "density", 0, 0);
    for (int q = 0; q < 2; q++) {
        const double width = (hi[q] - lo[q]) / BINS;
        for (int i = 0; i < BINS; i++) at[q][i] = lo[q] + (i + .5) * width;
        for (int r = 0; r < ALL_ROWS; r++) {
            for (int i = 0; i < f[r].n; i++) {
                const double u = ((q ? f[r].skewness[i] : f[r].variance[i]) - lo[q]) / width;
                if (u >= 0 && u < BINS) density[q][r][(int)u] += 1 / (width * f[r].n);
            }
            plot_line(&p[q], BINS, at[q], density[q][r], r == REAL ? "real" : rows[r].name,
                      r == REAL ? PLOT_MARKED : PLOT_SOLID);
        }
    }
    plot_row(a.st, 2, p, path, a);
    need(a.st);
    wrote(path);
}

/* ---- The table ------------------------------------------------------------------------------- */

static void line(char *text, const char *name, const figures *f, const kit *k)
{
    const double large = k ? left(k, 0, 1) : NAN, fine = k ? left(k, SIDE * .75, SIDE) : NAN;
    printf("%-28s %6d %10.4f %10.4f %10.4f %10.3f %10.2g %10.2g\n", name, f->n, f->w_var, f->w_skew,
           f->energy, f->radius, large, fine);
    fflush(stdout);
    sprintf(text + strlen(text), "\"%s\",%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", name, f->n, f->w_var,
            f->w_skew, f->energy, f->radius, large, fine);
}

int main(int argc, char **argv)
{
    static char text[4096] = "row,n,w_var,w_skew,energy,radius,large,fine\n";
    static const fd_real *x[ALL_ROWS];
    static figures f[ALL_ROWS], other[SETS];
    fd_status st;
    char file[64], more[80];
    const double begin = now();
    start("volcano", argv);
    args o = settings(argc, argv, 1, 1500);
    fd_arena a = arena_make(&o, &st);
    make_dir("out/volcano");
    fd_space s = square(&a, SIDE, FD_NEUMANN, 2);
    fd_real *train = functions_made(&a, "out/volcano/train.npy", "volcano", SIDE, 0, TRAINED);
    x[REAL] = functions_made(&a, "out/volcano/real.npy", "volcano", SIDE, TRAINED,
                             OTHERS + SETS * MANY);
    dataset d = data_of(&a, "out/volcano/train.npy", &s, TRAINED, train);
    figures_of(&f[REAL], &s, OTHERS, x[REAL], NULL, NULL);
    printf("%-28s %6s %10s %10s %10s %10s %10s %10s\n", "row", "n", "w_var", "w_skew", "energy",
           "radius", "large", "fine");
    for (int i = 0; i < SETS; i++) {
        sprintf(more, "other real images, set %d", i + 1);
        const fd_real *one = x[REAL] + (OTHERS + i * MANY) * 2 * POINTS;
        figures_of(&other[i], &s, MANY, one, &f[REAL], x[REAL]);
        line(text, more, &other[i], NULL);
    }
    for (int r = 0; r < COUNT(rows); r++) {
        sprintf(more, "--steps %d", o.train);
        args q = flags_read(&a, TRAIN, rows[r].train, more);
        sprintf(file, "%s.safetensors", rows[r].model);
        kit *k = model_made(&a, in_dir("out/volcano", file), &q, &d);
        sprintf(file, "out/volcano/%s.npy", rows[r].model);
        x[r] = functions_drawn(&a, file, k, rows[r].sample, SIDE, MANY);
        figures_of(&f[r], &s, MANY, x[r], &f[REAL], x[REAL]);
        line(text, rows[r].name, &f[r], k);
    }
    samples_show("out/volcano/volcano.png", x, a);
    histograms_show("out/volcano/histograms.png", f, a);
    text_save("out/volcano/volcano.csv", text);
    printf("%.0f s\n", now() - begin);
    return finish();
}
