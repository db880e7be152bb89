/* denoise.c -- networks as denoisers at high noise [Thesis figs. 5.6-5.13], side by side, beside
 * the best linear denoiser of the data, which is exact: that of N(mean, K), K the covariance of all
 * pairs of pixels.
 *
 *     build/thesis --table 5.1 --data IMAGES --labels LABELS         # trains them: out/thesis
 *     build/denoise --data IMAGES --threads 1                        # out/denoise.png, .csv
 *
 * Noise is sigma = sqrt(v)/m times a draw of N(0, C), sigma = .5 to 8; the picture is of sigma = 2.
 * Images that training did not see; error: of x0, mean square of a pixel, over what the mean of all
 * images leaves. */
#include "rows.h"
#include "plot.h"

enum { LEVELS = 5, SHOW = 12, SEEN = 200, HELD = 6, COVER = 6000, LINES = 6 };
static const double level[LEVELS] = { 0.5, 1, 2, 4, 8 };
enum { PICTURED = 2 };

static const struct { const char *noise, *name, *file; } net[] = {
    { "white noise", "U-ViT", "white" },       { "white noise", "modulation", "mod-white" },
    { "white noise", "meta-learned", "meta-white" },
    { "coloured noise", "U-ViT", "coloured" }, { "coloured noise", "modulation", "mod-coloured" } };

/* the covariance of pixels, as a kernel */
typedef struct { const fd_space *s; double *K; } pixels;

static double pixel_kernel(const double *x, const double *y, const void *self)
{
    const pixels *p = self;
    const int *n = p->s->n;
    ptrdiff_t i = (ptrdiff_t)rint(x[0] * n[0]) * n[1] + (ptrdiff_t)rint(x[1] * n[1]);
    ptrdiff_t j = (ptrdiff_t)rint(y[0] * n[0]) * n[1] + (ptrdiff_t)rint(y[1] * n[1]);
    return p->K[i * p->s->points + j];
}

static pixels measured(fd_arena *a, const dataset *d, int m)
{
    const int n = (int)d->s.points;
    pixels p = { &d->s, fd_new(a, double, (ptrdiff_t)n * n) };
    fd_arena own = *a;
    fd_real *x = fd_raw(&own, fd_real, n);
    double *u = fd_raw(&own, double, n);
    need(a->st);
    for (int i = 0; i < m; i++) {
        data_take(d, i * (d->m / m), x, own);
        for (int j = 0; j < n; j++) u[j] = (double)x[j] - (double)d->mean[j];
        for (int j = 0; j < n; j++)
            for (int k = 0; k < n; k++) p.K[j * n + k] += u[j] / m * u[k];
    }
    for (int j = 0; j < n; j++)
        for (int k = 0; k < j; k++) p.K[j * n + k] = p.K[k * n + j];
    return p;
}

/* time_of -- where sqrt(v)/m of a process is sigma. */
static double time_of(const fd_process *p, double sigma)
{
    double lo = p->tmin, hi = p->tmax;
    for (int i = 0; i < 60; i++) {
        double t = (lo + hi) / 2;
        fd_coef f = fd_law(p, t, 0);
        if (f.v > sigma * sigma * f.m * f.m) hi = t;
        else lo = t;
    }
    return lo;
}

/* error_of -- of x0, mean square of a pixel; show: the first ones, denoised, where not NULL. */
static double error_of(const fd_model *m, const fd_process *p, double t, int n, const fd_real *x0,
                       fd_real *noisy, fd_real *show, fd_arena a)
{
    ptrdiff_t size = fd_size(&p->noise->s);
    double *time = fd_raw(&a, double, n), sum = 0;
    fd_real *xt = fd_raw(&a, fd_real, 2 * n * size), *y = xt + n * size;
    need(a.st);
    for (int i = 0; i < n; i++) time[i] = t;
    fd_perturb(p, fd_seed(5), 0, n, x0, time, xt, NULL, a);
    fd_predict(m, FD_X0, p, n, xt, time, y, a);
    need(a.st);
    for (ptrdiff_t i = 0; i < n * size; i++)
        sum += pow((double)y[i] - (double)x0[i], 2) / (double)(n * size);
    if (noisy) memcpy(noisy, xt, (size_t)(SHOW * size) * sizeof *xt);
    if (show) memcpy(show, y, (size_t)(SHOW * size) * sizeof *xt);
    return sum;
}

/* The picture and the table: a column for each noise, a line for each denoiser. */
typedef struct {
    plot_canvas c;
    /* of an image; of a column, a line; margins */
    int n, w, wide, tall, left, top;
    double bare;                                       /* error of the mean image */
    /* images; noisy, and denoised ones of them */
    fd_real *x0, *show;
    char *text;
} sheet_of;

static sheet_of sheet_new(fd_arena *a, const dataset *d, char *text)
{
    const ptrdiff_t size = fd_size(&d->s);
    sheet_of b = { .n = d->s.n[0], .w = d->s.n[1], .left = 106, .top = 26, .text = text };
    b.x0 = data_gather(a, d, d->m, SEEN);
    need(a->st);
    for (ptrdiff_t i = 0; i < SEEN * size; i++)
        b.bare += pow((double)b.x0[i] - (double)d->mean[i % size], 2) / (double)(SEEN * size);
    b.wide = SHOW * (b.w + 2), b.tall = b.n + 2;
    b.c = plot_new(a, b.top + LINES * b.tall, 2 * (b.left + b.wide) + 8);
    b.show = fd_raw(a, fd_real, 3 * SHOW * size);
    need(a->st);
    return b;
}

/* images_shown -- from row `from` on of the images, with noise, and by the denoiser `name`; returns
 * the next free line. */
static int images_shown(sheet_of *b, const kit *k, const char *name, int x, int line, int from)
{
    const ptrdiff_t size = fd_size(&k->s);
    for (int r = from; r < 3; r++, line++) {
        const fd_real *v = r == 0 ? b->x0 : b->show + (r - 1) * SHOW * size;
        const char *says = r == 0 ? "image" : r == 1 ? "with noise" : name;
        fd_coef f = fd_law(&k->p, time_of(&k->p, level[PICTURED]), 0);
        double range = r == 1 ? sqrt(f.m * f.m + 4 * f.v) : 1;
        plot_text(&b->c, b->top + line * b->tall + b->n / 2 - 4, x + 6, 1, says);
        for (int j = 0; j < SHOW; j++)
            plot_image(&b->c, b->top + line * b->tall, x + b->left + j * (b->w + 2), b->n, b->w,
                       v + j * size, -range, range, FD_GRAY, 1);
    }
    return line;
}

/* errors_said -- of the denoiser m at each level, over that of the mean image. */
static void errors_said(const sheet_of *b, const kit *k, const fd_model *m, const char *noise,
                        const char *name, fd_arena a)
{
    printf("%-13s", name);
    for (int l = 0; l < LEVELS; l++) {
        double t = time_of(&k->p, level[l]);
        int pick = l == PICTURED;
        double e = error_of(m, &k->p, t, SEEN, b->x0, pick ? b->show : NULL,
                            pick ? b->show + SHOW * fd_size(&k->s) : NULL, a);
        printf(" %10.4f", e / b->bare);
        fflush(stdout);
        sprintf(b->text + strlen(b->text), "%s,%s,%g,%.5g\n", noise, name, level[l], e / b->bare);
    }
    puts("");
}

/* noises_shown -- the networks of each noise, after the best linear denoiser. */
static void noises_shown(sheet_of *b, const dataset *d, const fd_cov *c0, const char *dir,
                         fd_arena a)
{
    const char *last = "";
    for (int i = 0, line = 0, side = -1; i < COUNT(net); i++) {
        fd_arena own = a;
        char file[64];
        sprintf(file, "%s.safetensors", net[i].file);
        kit *k = kit_load(&own, in_dir(dir, file), NULL);
        const int first = strcmp(last, net[i].noise) != 0;
        fd_model linear = first ? fd_oracle_kernel(&own, &k->p, d->mean, c0) : k->model;
        if (k->s.points != d->s.points) die(1, "%s: of another grid", file);
        need(a.st);
        last = net[i].noise;
        side += first, line = first ? 0 : line;
        const int x = side * (b->left + b->wide + 8);
        if (first) {
            plot_caption(&b->c, 6, x + b->left, b->wide, 1, net[i].noise);
            printf("%s, whose pixels have the deviation %.3f sigma\n", net[i].noise,
                   sqrt(fd_cov_trace(k->noise)));
            errors_said(b, k, &linear, net[i].noise, "best linear", own);
            line = images_shown(b, k, "best linear", x, line, 0);
        }
        errors_said(b, k, &k->model, net[i].noise, net[i].name, own);
        line = images_shown(b, k, net[i].name, x, line, 2);
    }
}

int main(int argc, char **argv)
{
    static args o;
    static char text[4096] = "noise,denoiser,sigma,error\n";
    fd_status st;
    start("denoise", argv);
    options_read(&o, THESIS, "denoise --help", argc - 1, argv + 1);
    if (o.help) { options_help(THESIS); return finish(); }
    if (!o.data) die(2, "needs --data FILE of images");
    fd_arena a = arena_make(&o, &st);
    dataset d = data_open(&a, o.data, &o, NULL, o.grid, (shape){ 2, { 28, 28, 1 } });
    int held = d.m / HELD, most = d.m - held < COVER ? d.m - held : COVER;
    if (held < SEEN) die(1, "%s: %d images: wants %d", o.data, d.m, HELD * SEEN);
    d.m -= held;                                       /* the last sixth is not trained on */
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    data_say(&d, "", NULL);
    pixels cover = measured(&a, &d, most);
    fd_cov *c0 = fd_cov_kernel(&a, &d.s, pixel_kernel, &cover);
    need(&st);
    sheet_of b = sheet_new(&a, &d, text);
    printf("\n%-13s", "denoiser");
    for (int l = 0; l < LEVELS; l++) printf(" sigma %4g", level[l]);
    puts("");
    noises_shown(&b, &d, c0, o.outdir, a);
    make_dir("out");
    fd_png_save(&st, "out/denoise.png", b.c.h, b.c.w, b.c.rgb);
    need(&st);
    wrote("out/denoise.png");
    text_save("out/denoise.csv", text);
    return finish();
}
