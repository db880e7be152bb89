/* demo.c -- the main job: train a network on images for a fixed time, draw the same functions on
 * three grids, and write pictures, samples, the model and a table of metrics under out/demo.
 *
 * Takes the flags of fd train that choose data, covariance, process, network and loss, and those of
 * fd sample that choose the sampler: `build/demo --help`. */
#include "common.h"
#include "plot.h"

enum { SHOW = 16, GRIDS = 3, PATHS = 6, FRAMES = 9, TEXT = 16, GAP = 8 };

/* ---- Pictures -------------------------------------------------------------------------------- */

typedef struct { double lo, hi; int map, side; } look;      /* side: pixels of a panel */

static int zoom_of(const fd_space *s, look q, int *h, int *w)
{
    panel(s, NULL, 0, q.lo, q.hi, h, w, NULL);
    return q.side / *w > 1 ? q.side / *w : 1;
}

/* tiles -- b functions on s, cols beside each other, top left at (y, x) under a caption. */
static void tiles(const plot_canvas *c, int y, int x, const char *caption, const fd_space *s, int b,
                  int cols, const fd_real *v, look q, fd_arena a)
{
    int h, w, zoom = zoom_of(s, q, &h, &w);
    fd_real *p = fd_raw(&a, fd_real, (ptrdiff_t)h * w);
    plot_text(c, y, x, 2, caption);
    y += TEXT + GAP;
    for (int i = 0; p && i < b; i++) {
        panel(s, v + i * fd_size(s), 0, q.lo, q.hi, &h, &w, p);
        plot_image(c, y + i / cols * (h * zoom + GAP), x + i % cols * (w * zoom + GAP), h, w, p,
                   q.lo, q.hi, q.map, zoom);
    }
}

/* tiles_size -- pixels that tiles takes, its caption included. */
static void tiles_size(const fd_space *s, int b, int cols, look q, int *h, int *w)
{
    int zoom = zoom_of(s, q, h, w);
    *h = (b + cols - 1) / cols * (*h * zoom + GAP) + TEXT + GAP;
    *w = cols * (*w * zoom + GAP);
}

static void canvas_save(fd_status *st, const plot_canvas *c, const char *path)
{
    if (c->rgb) fd_png_save(st, path, c->h, c->w, c->rgb);
    need(st);
    wrote(path);
}

/* A block of tiles: `cols` wide. */
typedef struct { const char *text; const fd_space *s; const fd_real *x; int b, cols; } block;

/* blocks -- several of them, beside or under each other. */
static void blocks(fd_status *st, const char *path, int count, const block *p, int down, look q,
                   fd_arena a)
{
    enum { APART = 3 * GAP };
    int y = GAP, x = GAP, most[2] = { 0, 0 };
    plot_canvas c = { 0, 0, NULL };
    for (int draw = 0; draw <= 1; draw++) {            /* first for the size, then to draw */
        if (draw) c = plot_new(&a, down ? y : most[0] + 2 * GAP, down ? most[1] + 2 * GAP : x);
        y = x = GAP;
        for (int i = 0; i < count; i++) {
            int h, w;
            tiles_size(p[i].s, p[i].b, p[i].cols, q, &h, &w);
            if (draw) tiles(&c, y, x, p[i].text, p[i].s, p[i].b, p[i].cols, p[i].x, q, a);
            if (h > most[0]) most[0] = h;
            if (w > most[1]) most[1] = w;
            if (down) y += h + GAP; else x += w + APART;
        }
    }
    canvas_save(st, &c, path);
}

/* ---- The job --------------------------------------------------------------------------------- */

/* spectrum -- mean energy of |k| = 0.. of b functions, as a curve from |k| = 1 on. */
static plot_curve spectrum(fd_arena *a, const char *name, const fd_space *s, int b,
                           const fd_real *x)
{
    int bins = shells(s);
    double *e = fd_new(a, double, bins), *k = fd_raw(a, double, bins);
    if (e) fd_spectrum(s, b, x, bins, e, *a);
    need(a->st);
    for (int i = 0; i < bins; i++) k[i] = i;
    int last = 1;
    while (last < bins && e[last] > 1e-8 * e[1]) last++;       /* nothing but rounding beyond */
    return (plot_curve){ name, last - 1, k + 1, e + 1 };
}

static void loss_save(fd_status *st, const args *o, const curve *c, fd_arena a)
{
    static plot p;
    double *at = fd_raw(&a, double, c->rows), *value = fd_raw(&a, double, c->rows);
    double *mean = fd_raw(&a, double, c->rows), sum = 0;
    int wide = 1 + c->rows / 20;
    need(st);
    fd_csv_save(st, in_dir(o->outdir, "loss.csv"), CURVE_COLS, curve_name, c->rows, &c->x[0][0]);
    need(st);
    wrote(in_dir(o->outdir, "loss.csv"));
    for (int i = 0; i < c->rows; i++) {
        at[i] = c->x[i][0];
        value[i] = c->x[i][1];
        sum += value[i] - (i >= wide ? value[i - wide] : 0);
        mean[i] = sum / (i < wide ? i + 1 : wide);
    }
    plot_begin(&p, 900, 600, "loss", "step", "loss", 0, 1);
    plot_line(&p, c->rows, at, value, c->every > 1 ? "some steps" : "each step", PLOT_SOLID);
    plot_line(&p, c->rows, at, mean, "running mean", PLOT_SOLID);
    plot_save(st, &p, in_dir(o->outdir, "loss.png"), a);
    need(st);
    wrote(in_dir(o->outdir, "loss.png"));
}

/* table_add -- the metrics of b samples x, to the terminal and to the text of metrics.csv. */
static void table_add(char *table, const char *grid, const fd_space *s, int b, const fd_real *x,
                      const dataset *real, const args *o, fd_arena a)
{
    scores v = score(s, b, x, real, o->pcs, fd_stream(fd_seed(o->seed), 's', 0), a);
    for (int j = 0; j < METRICS; j++) {
        printf("%-16s %-10s %5d %12.5g %10.2g %12.5g %10.2g\n", metric_name[j], grid, b, v.x[j],
               v.x_sd[j], v.real[j], v.real_sd[j]);
        sprintf(table + strlen(table), "%s,%s,%d,%.9g,%.9g,%.9g,%.9g\n", metric_name[j], grid, b,
                v.x[j], v.x_sd[j], v.real[j], v.real_sd[j]);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static args o;
    static curve loss;
    static plot spectra;
    static char names[GRIDS][64], texts[GRIDS][128], table[8192];
    fd_status st;
    double begin = now();
    start("demo", argv);
    options_read(&o, DEMO, "build/demo --help", argc - 1, argv + 1);
    if (o.help) { options_help(DEMO); return finish(); }
    fd_arena a = arena_make(&o, &st);
    if (!o.data) o.data = "fields";
    make_dir(o.outdir);
    o.out = in_dir(o.outdir, "model.safetensors");

    dataset d = data_open(&a, o.data, &o, NULL, o.grid, (shape){ 2, { 28, 28, 1 } });
    if (d.m < 16) die(1, "%s: %d functions are too few", o.data, d.m);
    ptrdiff_t size = fd_size(&d.s);
    int held = d.m / 4 < 2 * SPLITS * o.n ? d.m / 4 : 2 * SPLITS * o.n;
    int *order = fd_raw(&a, int, d.m);
    need(&st);
    fd_perm(fd_stream(fd_seed(o.seed), 'h', 0), d.m, order);
    dataset seen = data_some(&a, &d, d.m - held, order + held);
    dataset real = data_some(&a, &d, held, order);
    data_measure(&a, &seen, o.normalize.row, NULL);
    data_say(&seen, "", NULL);

    kit *k = kit_new(&a, &o, &seen, NULL);
    gap_warn(k, a);
    /* Figures and metrics are of the values in the file, bytes as -1 to 1. */
    normal plain = normal_plain(d.norm.bytes);
    if (real.x) real.x = data_gather(&a, &real, 0, held), real.order = NULL, real.total = held;
    if (real.x) to_file(&seen.norm, &d.s, held, real.x);
    real.norm = plain;
    const fd_real *truth = data_gather(&a, &real, 0, held);
    printf("%s: %d more functions are held out; %.0f s of training\n", o.data, held, o.budget);
    fflush(stdout);
    int sig = train(k, &seen, &o, &loss, a);
    loss_save(&st, &o, &loss, a);
    if (sig) die(128 + sig, "stopped at step %d", k->opt->step);

    /* A step of training costs about three evaluations of the network; the samples for the metrics
     * may take a third of the time of training. */
    double *last = loss.x[loss.rows - 1], speed = 3.0 * k->opt->step * o.batch / last[4];
    double most = 0.33 * o.budget * speed / o.steps;
    int show = held / 2 < SHOW ? held / 2 : SHOW, n = o.n < held / 2 ? o.n : held / 2;
    if (n > most) n = most < show ? show : (int)most;
    printf("step %d, loss %.4g; %d samples for the metrics\n", k->opt->step, last[1], n);

    look q = { -1, 1, FD_GRAY, 1 };                    /* bytes */
    if (!d.norm.bytes) { range(show * size, truth, &q.lo, &q.hi); q.map = FD_VIRIDIS; }
    int finest = d.s.n[d.s.nd - 1] << (GRIDS - 1);     /* panels of one size on every grid */
    q.side = (111 + finest) / finest * finest;

    /* with how many functions each is a mean over */
    static char legend[GRIDS + 1][96];
    sprintf(legend[GRIDS], "data (%d)", held);
    plot_curve energy = spectrum(&a, legend[GRIDS], &d.s, held, truth);
    plot_begin(&spectra, 900, 600, "energy spectra", "wavenumber", "mean energy", 1, 1);
    plot_line(&spectra, energy.n, energy.x, energy.y, energy.name, PLOT_SOLID);
    strcpy(table, "metric,grid,n,samples,samples_sd,real,real_sd\n");
    printf("%-16s %-10s %5s %12s %10s %12s %10s\n", "metric", "grid", "n", "samples", "+-", "real",
           "+-");
    const kit *on[GRIDS];
    block shown[GRIDS + 1];
    for (int g = 0; g < GRIDS; g++) {
        shape grid = { d.s.nd, { 1, 1, 1 } };
        args each = o;
        int b = g ? show : n;
        for (int i = 0; i < d.s.nd; i++) grid.n[i] = d.s.n[i] << g;
        on[g] = kit_on(&a, k, grid);
        each.batch = g ? PATHS : 4 * PATHS;
        ptrdiff_t fine = fd_size(&on[g]->s);
        fd_real *drawn = fd_raw(&a, fd_real, b * fine), *states = NULL;
        if (!g) states = fd_raw(&a, fd_real, PATHS * (FRAMES + 1) * fine);
        need(&st);
        int paths = PATHS < b ? PATHS : b;
        sample(on[g], &each, b, drawn, paths, FRAMES, states, a);
        grid_text(&on[g]->s, names[g]);
        char file[128];
        snprintf(file, sizeof file, g ? "samples-%.60s.npy" : "samples.npy", names[g]);
        to_file(&on[g]->norm, &on[g]->s, b, drawn);
        functions_save(a, in_dir(o.outdir, file), &on[g]->s, d.axes, b, drawn);
        for (ptrdiff_t i = 0; i < b * fine; i++)
            drawn[i] = (fd_real)(plain.scale[0] * (double)drawn[i] + plain.shift[0]);
        sprintf(legend[g], "%s (%d)", names[g], b);
        energy = spectrum(&a, legend[g], &on[g]->s, b, drawn);
        plot_line(&spectra, energy.n, energy.x, energy.y, energy.name, PLOT_DASHED);

        fd_arena m = a;
        fd_real *x = fd_raw(&m, fd_real, b * size);
        need(&st);
        if (g) fd_resample(&on[g]->s, &d.s, b, drawn, x, m);
        else memcpy(x, drawn, (size_t)(b * size) * sizeof *x);
        table_add(table, names[g], &d.s, b, x, &real, &o, m);
        if (g) {                                       /* are they the same functions? */
            double apart = 0, total = 0;
            for (ptrdiff_t i = 0; i < b * size; i++) {
                double u = (double)shown[0].x[i], e = (double)x[i] - u;
                apart += e * e;
                total += u * u;
            }
            apart = sqrt(apart / total);
            printf("%-16s %-10s %5d %12.5g\n", "grid_change", names[g], b, apart);
            sprintf(table + strlen(table), "grid_change,%s,%d,%.9g,,0,\n", names[g], b, apart);
        }

        sprintf(texts[g], "samples on %s", names[g]);
        int cols = (int)ceil(sqrt(show));
        block pair[2] = { { texts[g], &on[g]->s, drawn, show, cols },
                          { "real", &d.s, truth, show, cols } };
        snprintf(file, sizeof file, "samples-%.60s.png", names[g]);
        blocks(&st, in_dir(o.outdir, file), 2, pair, 0, q, m);
        shown[g] = (block){ texts[g], &on[g]->s, drawn, show < 8 ? show : 8, 8 };
        if (!states) continue;
        unit(paths, FRAMES + 1, size, states);
        block way = { "from noise to sample, each column in its own range", &on[g]->s, states,
                      paths * (FRAMES + 1), FRAMES + 1 };
        blocks(&st, in_dir(o.outdir, "path.png"), 1, &way, 1, (look){ 0, 1, q.map, 84 }, m);
    }
    shown[GRIDS] = (block){ "real", &d.s, truth, show < 8 ? show : 8, 8 };
    blocks(&st, in_dir(o.outdir, "grids.png"), GRIDS + 1, shown, 1, q, a);
    plot_save(&st, &spectra, in_dir(o.outdir, "spectra.png"), a);
    need(&st);
    wrote(in_dir(o.outdir, "spectra.png"));
    text_save(in_dir(o.outdir, "metrics.csv"), table);
    printf("%.0f s in all\n", now() - begin);
    return finish();
}
