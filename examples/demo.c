/* demo.c -- the main job: train a network on images for a fixed time, draw the same functions on three
 * grids, and write pictures, samples, the model and a table of metrics under out/demo.
 *
 * Takes the flags of fd train that choose data, covariance, process, network and loss, and those of
 * fd sample that choose the sampler: `build/demo --help`. */
#include "common.h"
#include "plot.h"

enum { SHOW = 16, GRIDS = 3, PATHS = 6, FRAMES = 9, TEXT = 16, GAP = 8 };

static const char *in_dir(const char *dir, const char *name)
{
    static char path[8][1024];
    static int k;
    char *p = path[k++ & 7];
    if (snprintf(p, sizeof path[0], "%s/%s", dir, name) >= (int)sizeof path[0])
        die(1, "--outdir: name too long");
    return p;
}

/* make_dir -- dir and the folders above it. */
static void make_dir(const char *dir)
{
    char part[1024];
    size_t n = strlen(dir);
    if (n >= sizeof part) die(1, "--outdir: name too long");
    for (size_t i = 1; i <= n; i++) {
        if (dir[i] != '/' && dir[i]) continue;
        memcpy(part, dir, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            die(1, "--outdir: '%s': %s", part, strerror(errno));
    }
    can_write("outdir", in_dir(dir, "metrics.csv"));
}

/* ---- Pictures ------------------------------------------------------------------------------------ */

typedef struct { double lo, hi; int map, side; } look;      /* side: pixels of a panel */

/* tiles -- b functions on s, cols beside each other, top left at (y, x) under a caption. */
static void tiles(const plot_canvas *c, int y, int x, const char *caption, const fd_space *s, int b,
                  int cols, const fd_real *v, look q, fd_arena a)
{
    int h, w;
    panel(s, v, 0, q.lo, q.hi, &h, &w, NULL);
    fd_real *p = fd_raw(&a, fd_real, (ptrdiff_t)h * w);
    int zoom = q.side / w > 1 ? q.side / w : 1;
    plot_text(c, y, x, 2, caption);
    for (int i = 0; p && i < b; i++) {
        panel(s, v + i * fd_size(s), 0, q.lo, q.hi, &h, &w, p);
        plot_image(c, y + TEXT + GAP + i / cols * (h * zoom + GAP), x + i % cols * (w * zoom + GAP), h,
                   w, p, q.lo, q.hi, q.map, zoom);
    }
}

/* tiles_size -- pixels that tiles takes with its caption. */
static void tiles_size(const fd_space *s, int b, int cols, look q, int *h, int *w)
{
    panel(s, NULL, 0, q.lo, q.hi, h, w, NULL);
    int zoom = q.side / *w > 1 ? q.side / *w : 1;
    *h = (b + cols - 1) / cols * (*h * zoom + GAP) + TEXT + GAP;
    *w = cols * (*w * zoom + GAP);
}

/* pair -- samples on the left, real functions on the right. */
static void pair(fd_status *st, const char *path, const fd_space *s, const fd_real *x, const char *text,
                 const fd_space *rs, const fd_real *real, int b, look q, fd_arena a)
{
    int h[2], w[2], cols = (int)ceil(sqrt(b));
    tiles_size(s, b, cols, q, &h[0], &w[0]);
    tiles_size(rs, b, cols, q, &h[1], &w[1]);
    plot_canvas c = plot_new(&a, (h[0] > h[1] ? h[0] : h[1]) + GAP, w[0] + w[1] + 5 * GAP);
    tiles(&c, GAP, GAP, text, s, b, cols, x, q, a);
    tiles(&c, GAP, w[0] + 5 * GAP, "real", rs, b, cols, real, q, a);
    if (c.rgb) fd_png_save(st, path, c.h, c.w, c.rgb);
    need(st);
    wrote(path);
}

/* ---- The job ------------------------------------------------------------------------------------- */

static const char *grid_text(const fd_space *s, char text[64])
{
    sprintf(text, "%d", s->n[0]);
    for (int i = 1; i < s->nd; i++) sprintf(text + strlen(text), "x%d", s->n[i]);
    return text;
}

/* spectrum -- mean energy of |k| = 0.. of b functions, as a curve from |k| = 1 on. */
static plot_curve spectrum(fd_arena *a, const char *name, const fd_space *s, int b, const fd_real *x)
{
    int bins = s->n[0];
    for (int i = 1; i < s->nd; i++) if (s->n[i] < bins) bins = s->n[i];
    if (s->bc[0] == FD_PERIODIC) bins = (bins + 1) / 2;
    double *e = fd_new(a, double, bins), *k = fd_raw(a, double, bins);
    if (e) fd_spectrum(s, b, x, bins, e, *a);
    need(a->st);
    for (int i = 0; i < bins; i++) k[i] = i;
    int last = 1;
    while (last < bins && e[last] > 1e-8 * e[1]) last++;       /* nothing but rounding beyond */
    return (plot_curve){ name, last - 1, k + 1, e + 1 };
}

int main(int argc, char **argv)
{
    static args o;
    static curve loss;
    static char names[GRIDS + 1][64], table[8192];
    fd_status st;
    double begin = now();
    prog = "demo";
    options_read(&o, DEMO, "build/demo --help", argc - 1, argv + 1);
    if (o.help) { options_help(DEMO); return finish(); }
    fd_arena a = arena_make(&o, &st);
    if (!o.data) o.data = "fields";
    make_dir(o.outdir);
    o.out = in_dir(o.outdir, "model.safetensors");

    /* real functions that training does not see: pairs of sets of o.n for the metrics */
    dataset d = data_load(&a, o.data, &o, o.grid, (shape){ 2, { 28, 28, 1 } });
    need(&st);
    if (d.m < 8) die(1, "%s: %d functions are too few", o.data, d.m);
    ptrdiff_t size = fd_size(&d.s);
    int held = d.m / 4 < 2 * SPLITS * o.n ? d.m / 4 : 2 * SPLITS * o.n;
    int *order = fd_raw(&a, int, d.m);
    fd_real *shuffled = fd_raw(&a, fd_real, d.m * size);
    need(&st);
    fd_perm(fd_sub(fd_seed((uint64_t)o.seed), 'h', 0), d.m, order);
    for (int i = 0; i < d.m; i++)
        memcpy(shuffled + i * size, d.x + order[i] * size, (size_t)size * sizeof *d.x);
    fd_real *real = shuffled;                          /* [held][size], then what is trained on */
    dataset seen = d;
    seen.m = d.m - held;
    seen.x = real + held * size;
    int show = held < SHOW ? held : SHOW;

    kit *k = kit_new(&a, &o, &seen);
    printf("%s: %d functions on %s, %d more held out; %ld weights; %.0f s of training\n", o.data,
           seen.m, grid_text(&d.s, names[0]), held, (long)k->net->count, o.budget);
    fflush(stdout);
    int sig = train(k, &seen, &o, &loss, a);
    fd_csv_save(&st, in_dir(o.outdir, "loss.csv"), CURVE_COLS, curve_name, loss.rows, &loss.x[0][0]);
    need(&st);
    wrote(in_dir(o.outdir, "loss.csv"));
    if (sig) die(128 + sig, "stopped at step %d", k->opt->step);

    double *at = fd_raw(&a, double, loss.rows), *value = fd_raw(&a, double, loss.rows);
    need(&st);
    for (int i = 0; i < loss.rows; i++) { at[i] = loss.x[i][0]; value[i] = loss.x[i][1]; }
    static plot p;
    plot_begin(&p, 900, 600, "loss", "step", "mean loss", 0, 1);
    plot_line(&p, loss.rows, at, value, NULL, PLOT_SOLID);
    plot_save(&st, &p, in_dir(o.outdir, "loss.png"), a);
    need(&st);
    wrote(in_dir(o.outdir, "loss.png"));

    /* A step of training costs about three evaluations; samples for the metrics take a third of the
     * time of training at most. */
    int n = o.n < held / 2 ? o.n : held / 2, steps = o.steps;
    double speed = loss.rows ? 3.0 * k->opt->step * o.batch / loss.x[loss.rows - 1][4] : 1e9;
    double most = 0.33 * (o.budget > 0 ? o.budget : 150) * speed / steps;
    if (n > most) n = most < show ? show : (int)most;
    printf("step %d, loss %.4g; %d samples for the metrics\n", k->opt->step,
           loss.rows ? loss.x[loss.rows - 1][1] : 0, n);
    fflush(stdout);

    look q = { -1, 1, FD_GRAY, 1 };                    /* bytes, in the scale of the model */
    if (d.scale == 1) { range(show * size, real, &q.lo, &q.hi); q.map = FD_VIRIDIS; }
    int finest = d.s.n[d.s.nd - 1] << (GRIDS - 1);     /* panels of one size on every grid */
    q.side = (111 + finest) / finest * finest;

    plot_curve energy[GRIDS + 1];
    fd_space spaces[GRIDS];
    fd_real *drawn[GRIDS];
    energy[0] = spectrum(&a, "data", &d.s, held, real);
    strcpy(table, "metric,grid,n,samples,samples_sd,real,real_sd\n");
    printf("%-16s %-10s %5s %12s %10s %12s %10s\n", "metric", "grid", "n", "samples", "+-", "real", "+-");
    args each = o;
    for (int g = 0; g < GRIDS; g++) {
        shape grid = { d.s.nd, { d.s.n[0] << g, d.s.nd > 1 ? d.s.n[1] << g : 1, d.s.nd > 2 ? d.s.n[2] << g : 1 } };
        const kit *kg = kit_on(&a, k, grid);
        int b = g ? show : n;
        spaces[g] = kg->s;
        each.batch = 32 >> g;
        if (each.batch < PATHS) each.batch = PATHS;
        fd_real *states = g ? NULL : fd_raw(&a, fd_real, PATHS * (FRAMES + 1) * size);
        drawn[g] = fd_raw(&a, fd_real, b * fd_size(&kg->s));
        need(&st);
        sample(kg, &each, b, drawn[g], g ? 0 : PATHS, FRAMES, states, a);
        grid_text(&kg->s, names[g + 1]);
        energy[g + 1] = spectrum(&a, names[g + 1], &kg->s, b, drawn[g]);

        /* metrics on the grid of the data */
        fd_arena m = a;
        fd_real *x = fd_raw(&m, fd_real, b * size);
        need(&st);
        if (g) fd_resample(&kg->s, &d.s, b, drawn[g], x, m);
        else memcpy(x, drawn[g], (size_t)(b * size) * sizeof *x);
        scores v = score(&d.s, b, x, held, real, o.pcs, fd_sub(fd_seed((uint64_t)o.seed), 's', 0), m);
        for (int j = 0; j < METRICS; j++) {
            printf("%-16s %-10s %5d %12.5g %10.2g %12.5g %10.2g\n", metric_name[j], names[g + 1], b,
                   v.x[j], v.x_sd[j], v.real[j], v.real_sd[j]);
            sprintf(table + strlen(table), "%s,%s,%d,%.9g,%.9g,%.9g,%.9g\n", metric_name[j],
                    names[g + 1], b, v.x[j], v.x_sd[j], v.real[j], v.real_sd[j]);
        }
        if (g) {                                       /* are they the same functions? */
            double apart = 0, total = 0;
            for (ptrdiff_t i = 0; i < b * size; i++) {
                double e = (double)x[i] - (double)drawn[0][i];
                apart += e * e;
                total += (double)drawn[0][i] * (double)drawn[0][i];
            }
            apart = sqrt(apart / total);
            printf("%-16s %-10s %5d %12.5g\n", "grid_change", names[g + 1], b, apart);
            sprintf(table + strlen(table), "grid_change,%s,%d,%.9g,,,\n", names[g + 1], b, apart);
        }
        fflush(stdout);

        char file[128], text[128];
        sprintf(file, g ? "samples-%s.npy" : "samples.npy", names[g + 1]);
        x = fd_raw(&m, fd_real, b * fd_size(&kg->s));
        need(&st);
        memcpy(x, drawn[g], (size_t)(b * fd_size(&kg->s)) * sizeof *x);
        to_file(d.scale, d.shift, b * fd_size(&kg->s), x);
        functions_save(&st, in_dir(o.outdir, file), &kg->s, d.channels, b, x);
        sprintf(file, "samples-%s.png", names[g + 1]);
        sprintf(text, "samples on %s", names[g + 1]);
        pair(&st, in_dir(o.outdir, file), &kg->s, drawn[g], text, &d.s, real, show, q, a);
        if (!states) continue;
        unit(PATHS, FRAMES + 1, size, states);
        plot_canvas c;
        look path = { 0, 1, q.map, 84 };
        int h, w;
        tiles_size(&kg->s, PATHS * (FRAMES + 1), FRAMES + 1, path, &h, &w);
        c = plot_new(&m, h + GAP, w + GAP);
        tiles(&c, GAP, GAP, "from noise to sample, each column in its own range", &kg->s,
              PATHS * (FRAMES + 1), FRAMES + 1, states, path, m);
        if (c.rgb) fd_png_save(&st, in_dir(o.outdir, "path.png"), c.h, c.w, c.rgb);
        need(&st);
        wrote(in_dir(o.outdir, "path.png"));
    }

    /* the same functions on the three grids, under each other */
    int cols = show < 8 ? show : 8, y = GAP;
    plot_canvas c = { 0, 0, NULL };
    for (int draw = 0; draw <= 1; draw++) {            /* first for the size, then for the picture */
        if (draw) c = plot_new(&a, y, c.w);
        y = GAP;
        for (int g = 0; g <= GRIDS; g++) {
            const fd_space *s = g < GRIDS ? &spaces[g] : &d.s;
            char text[128];
            int h, w;
            sprintf(text, g < GRIDS ? "the same noise on %s" : "real", g < GRIDS ? names[g + 1] : "");
            tiles_size(s, cols, cols, q, &h, &w);
            if (draw) tiles(&c, y, GAP, text, s, cols, cols, g < GRIDS ? drawn[g] : real, q, a);
            else if (w + GAP > c.w) c.w = w + GAP;
            y += h + GAP;
        }
    }
    if (c.rgb) fd_png_save(&st, in_dir(o.outdir, "grids.png"), c.h, c.w, c.rgb);
    need(&st);
    wrote(in_dir(o.outdir, "grids.png"));
    plot_begin(&p, 900, 600, "energy spectra", "wavenumber", "mean energy", 1, 1);
    for (int g = 0; g <= GRIDS; g++)
        plot_line(&p, energy[g].n, energy[g].x, energy[g].y, energy[g].name,
                  g ? PLOT_DASHED : PLOT_SOLID);
    plot_save(&st, &p, in_dir(o.outdir, "spectra.png"), a);
    need(&st);
    wrote(in_dir(o.outdir, "spectra.png"));
    text_save(in_dir(o.outdir, "metrics.csv"), table);
    printf("%.0f s in all\n", now() - begin);
    return finish();
}
