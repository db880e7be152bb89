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

/* job -- what the grids share. */
typedef struct {
    args o;
    dataset d, seen, real;                 /* all functions; to train on; held out */
    int held, n, show;                     /* how many those are, are drawn, are shown */
    normal plain;
    const fd_real *truth;
    kit *k;
    curve loss;
    look q;
    plot spectra;
    block shown[GRIDS + 1];
    char texts[GRIDS][128], legend[GRIDS + 1][96], table[8192];
} job;

/* data_split -- a quarter of the data, or what the metrics need, is held out. Figures and metrics
 * are of the values in the file, bytes as -1 to 1. */
static void data_split(fd_arena *a, job *w)
{
    args *o = &w->o;
    w->d = data_open(a, o->data, o, NULL, o->grid, (shape){ 2, { 28, 28, 1 } });
    dataset *d = &w->d, *real = &w->real;
    if (d->m < 16) die(1, "%s: %d functions are too few", o->data, d->m);
    int held = w->held = d->m / 4 < 2 * SPLITS * o->n ? d->m / 4 : 2 * SPLITS * o->n;
    int *order = fd_raw(a, int, d->m);
    need(a->st);
    fd_perm(fd_stream(fd_seed(o->seed), 'h', 0), d->m, order);
    w->seen = data_some(a, d, d->m - held, order + held);
    *real = data_some(a, d, held, order);
    data_measure(a, &w->seen, o->normalize.row, NULL);
    data_say(&w->seen, "", NULL);
    w->k = kit_new(a, o, &w->seen, NULL);
    gap_warn(w->k, *a);
    w->plain = normal_plain(d->norm.bytes);
    if (real->x) real->x = data_gather(a, real, 0, held), real->order = NULL, real->total = held;
    if (real->x) to_file(&w->seen.norm, &d->s, held, real->x);
    real->norm = w->plain;
    w->truth = data_gather(a, real, 0, held);
}

/* plan -- how many samples, and how they are shown. A step of training costs about three
 * evaluations of the network; the samples for the metrics may take a third of the time of
 * training. */
static void plan(job *w)
{
    const args *o = &w->o;
    const fd_space *s = &w->d.s;
    double *last = w->loss.x[w->loss.rows - 1], speed = 3.0 * w->k->opt->step * o->batch / last[4];
    double most = 0.33 * o->budget * speed / o->steps;
    int show = w->show = w->held / 2 < SHOW ? w->held / 2 : SHOW;
    w->n = o->n < w->held / 2 ? o->n : w->held / 2;
    if (w->n > most) w->n = most < show ? show : (int)most;
    printf("step %d, loss %.4g; %d samples for the metrics\n", w->k->opt->step, last[1], w->n);
    w->q = (look){ -1, 1, FD_GRAY, 1 };                /* bytes */
    if (!w->d.norm.bytes) {
        range(show * fd_size(s), w->truth, &w->q.lo, &w->q.hi);
        w->q.map = FD_VIRIDIS;
    }
    int finest = s->n[s->nd - 1] << (GRIDS - 1);       /* panels of one size on every grid */
    w->q.side = (111 + finest) / finest * finest;
}

/* change_add -- how far b samples x of a finer grid are from those of the first: are they the same
 * functions? */
static void change_add(job *w, const char *grid, int b, const fd_real *x)
{
    double apart = 0, total = 0;
    for (ptrdiff_t i = 0; i < b * fd_size(&w->d.s); i++) {
        double u = (double)w->shown[0].x[i], e = (double)x[i] - u;
        apart += e * e;
        total += u * u;
    }
    apart = sqrt(apart / total);
    printf("%-16s %-10s %5d %12.5g\n", "grid_change", grid, b, apart);
    sprintf(w->table + strlen(w->table), "grid_change,%s,%d,%.9g,,0,\n", grid, b, apart);
}

/* grid_pictures -- samples beside real functions; on the first grid their way from the noise. */
static void grid_pictures(job *w, int g, const char *name, const fd_space *s,
                          const fd_real *drawn, int paths, fd_real *states, fd_arena a)
{
    const int show = w->show, cols = (int)ceil(sqrt(show));
    char file[128];
    block pair[2] = { { w->texts[g], s, drawn, show, cols },
                      { "real", &w->d.s, w->truth, show, cols } };
    snprintf(file, sizeof file, "samples-%.60s.png", name);
    blocks(a.st, in_dir(w->o.outdir, file), 2, pair, 0, w->q, a);
    w->shown[g] = (block){ w->texts[g], s, drawn, show < 8 ? show : 8, 8 };
    if (!states) return;
    unit(paths, FRAMES + 1, fd_size(s), states);
    block way = { "from noise to sample, each column in its own range", s, states,
                  paths * (FRAMES + 1), FRAMES + 1 };
    blocks(a.st, in_dir(w->o.outdir, "path.png"), 1, &way, 1, (look){ 0, 1, w->q.map, 84 }, a);
}

/* grid_run -- samples on grid g, 2^g times as fine as the data, with their file, spectrum, metrics
 * and pictures. */
static void grid_run(fd_arena *a, job *w, int g)
{
    const dataset *d = &w->d;
    shape grid = { d->s.nd, { 1, 1, 1 } };
    args each = w->o;
    char name[64], file[128];
    const int b = g ? w->show : w->n, paths = PATHS < b ? PATHS : b;
    for (int i = 0; i < d->s.nd; i++) grid.n[i] = d->s.n[i] << g;
    const kit *on = kit_on(a, w->k, grid);
    each.batch = g ? PATHS : 4 * PATHS;
    const ptrdiff_t fine = fd_size(&on->s), size = fd_size(&d->s);
    fd_real *drawn = fd_raw(a, fd_real, b * fine), *states = NULL;
    if (!g) states = fd_raw(a, fd_real, PATHS * (FRAMES + 1) * fine);
    need(a->st);
    sample(on, &each, b, drawn, paths, FRAMES, states, *a);
    grid_text(&on->s, name);
    snprintf(file, sizeof file, g ? "samples-%.60s.npy" : "samples.npy", name);
    to_file(&on->norm, &on->s, b, drawn);
    functions_save(*a, in_dir(w->o.outdir, file), &on->s, d->axes, b, drawn);
    for (ptrdiff_t i = 0; i < b * fine; i++)
        drawn[i] = (fd_real)(w->plain.scale[0] * (double)drawn[i] + w->plain.shift[0]);
    sprintf(w->legend[g], "%s (%d)", name, b);
    plot_curve energy = spectrum(a, w->legend[g], &on->s, b, drawn);
    plot_line(&w->spectra, energy.n, energy.x, energy.y, energy.name, PLOT_DASHED);

    fd_arena m = *a;
    fd_real *x = fd_raw(&m, fd_real, b * size);
    need(a->st);
    if (g) fd_resample(&on->s, &d->s, b, drawn, x, m);
    else memcpy(x, drawn, (size_t)(b * size) * sizeof *x);
    table_add(w->table, name, &d->s, b, x, &w->real, &w->o, m);
    if (g) change_add(w, name, b, x);
    sprintf(w->texts[g], "samples on %s", name);
    grid_pictures(w, g, name, &on->s, drawn, paths, states, m);
}

int main(int argc, char **argv)
{
    static job w;
    args *o = &w.o;
    fd_status st;
    double begin = now();
    start("demo", argv);
    options_read(o, DEMO, "build/demo --help", argc - 1, argv + 1);
    if (o->help) { options_help(DEMO); return finish(); }
    fd_arena a = arena_make(o, &st);
    if (!o->data) o->data = "fields";
    make_dir(o->outdir);
    o->out = in_dir(o->outdir, "model.safetensors");
    data_split(&a, &w);
    printf("%s: %d more functions are held out; %.0f s of training\n", o->data, w.held, o->budget);
    fflush(stdout);
    int sig = train(w.k, &w.seen, o, &w.loss, a);
    loss_save(&st, o, &w.loss, a);
    if (sig) die(128 + sig, "stopped at step %d", w.k->opt->step);
    plan(&w);

    sprintf(w.legend[GRIDS], "data (%d)", w.held);     /* of how many functions it is the mean */
    plot_curve energy = spectrum(&a, w.legend[GRIDS], &w.d.s, w.held, w.truth);
    plot_begin(&w.spectra, 900, 600, "energy spectra", "wavenumber", "mean energy", 1, 1);
    plot_line(&w.spectra, energy.n, energy.x, energy.y, energy.name, PLOT_SOLID);
    strcpy(w.table, "metric,grid,n,samples,samples_sd,real,real_sd\n");
    printf("%-16s %-10s %5s %12s %10s %12s %10s\n", "metric", "grid", "n", "samples", "+-", "real",
           "+-");
    for (int g = 0; g < GRIDS; g++) grid_run(&a, &w, g);
    w.shown[GRIDS] = (block){ "real", &w.d.s, w.truth, w.show < 8 ? w.show : 8, 8 };
    blocks(&st, in_dir(o->outdir, "grids.png"), GRIDS + 1, w.shown, 1, w.q, a);
    plot_save(&st, &w.spectra, in_dir(o->outdir, "spectra.png"), a);
    need(&st);
    wrote(in_dir(o->outdir, "spectra.png"));
    text_save(in_dir(o->outdir, "metrics.csv"), w.table);
    printf("%.0f s in all\n", now() - begin);
    return finish();
}
