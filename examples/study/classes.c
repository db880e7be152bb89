/* classes.c -- one U-ViT for ten classes [Thesis sec. 3.8.4; U-ViT; CFG]: the label is a token
 * beside that of time, a tenth of the labels is left out in training, and a sampler follows D + w
 * (D - D of no label). What does w buy, and what does it cost?
 *
 *     build/classes --data build/data/fashion-mnist --labels build/data/labels --threads 1
 *
 * First exactly, in one mode: a class N(y, c) among classes y ~ N(0, s^2), so that everything is
 * N(0, c + s^2). Guided denoisers are affine, and fd_exact_law says what a sampler makes of them:
 * for w = 0 the class; for other w not the law p(x | y)^(1+w) p(x)^-w that guidance is said to aim
 * at. Then on images: Frechet distance of the features of a classifier to images of the class that
 * were held out, beside other real ones; how many samples the classifier takes for their class; and
 * the variance of their features, where real ones have 1.
 *
 * Everything lands in --outdir as it is made, and a run that was stopped goes on. */
#include "classifier.h"
#include "plot.h"
#include "rows.h"

enum { WEIGHTS = 3, SHOW = 5, REAL = 3, HELD = 6 };
static const double weight[WEIGHTS] = { 0, 1, 3 };
static const char *const class_name[CLASSES] = { "T-shirt", "trousers", "pullover", "dress", "coat",
                                                 "sandal", "shirt", "sneaker", "bag", "boot" };

#define FLAGS "--net uvit:tscale=100 --process driftless:tmax=100,tmin=0.01" \
              " --cov pixel-white --time-law log --precond gauss"
#define DRAW "--scheme euler-maruyama --start matched --times geometric"

/* ---- Exactly, in one mode -------------------------------------------------------------------- */

/* guided_law -- mean and deviation of what 4000 small steps make of a class with mean y and
 * variance c, with weight w. */
static void guided_law(double y, double c, double s, double w, int scheme, double law[2],
                       fd_arena a)
{
    enum { STEPS = 4000 };
    static double t[STEPS + 1];
    fd_space one = fd_grid(&a, 1, (int[]){ 1 }, NULL, (int[]){ FD_NEUMANN }, 1);
    double all = c + s * s, mean, var, unit = 1;
    fd_real centre = (fd_real)y;
    fd_process p = fd_vp(fd_cov_table(&a, &one, &unit), 0.1, 20);
    fd_cov *within = fd_cov_table(&a, &one, &c);
    fd_model told = fd_oracle_gauss(&a, &p, &centre, within);
    fd_model bare = fd_oracle_gauss(&a, &p, NULL, fd_cov_table(&a, &one, &all));
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, a.st);
    fd_sampler how = { .p = &p, .model = fd_free_guided(&a, &p, told, bare, 1 + w), .t = t,
                       .steps = STEPS, .scheme = scheme, .start = FD_START_MATCHED,
                       .mean = &centre, .cov = within };
    fd_start_law(&how, &mean, &var, a);
    fd_exact_law(&how, &mean, &var, a);
    need(a.st);
    law[0] = mean, law[1] = sqrt(var);
}

static void exactly(fd_arena a)
{
    const double y = 1, c = 0.25, s = 1;
    printf("one mode, class N(1, .5^2), everything N(0, 1.25); mean and deviation\n"
           "%6s %18s %18s %18s\n", "w", "with noise", "by the flow", "p(x|y)^(1+w)p(x)^-w");
    for (int i = 0; i < WEIGHTS; i++) {
        double law[4], w = weight[i], power = (1 + w) / c - w / (c + s * s);
        guided_law(y, c, s, w, FD_ANCESTRAL, law, a);
        guided_law(y, c, s, w, FD_PF_HEUN, law + 2, a);
        printf("%6g %9.4f %8.4f %9.4f %8.4f %9.4f %8.4f\n", w, law[0], law[1], law[2], law[3],
               (1 + w) * y / c / power, 1 / sqrt(power));
    }
}

/* ---- Images ---------------------------------------------------------------------------------- */

typedef struct { double frechet, right, spread; } judged;

static double spread_of(int n, const fd_real *f)
{
    double sum = 0;
    for (int j = 0; j < FEATURES; j++) {
        double m = 0, sq = 0;
        for (int i = 0; i < n; i++) m += (double)f[i * FEATURES + j] / n;
        for (int i = 0; i < n; i++) sq += pow((double)f[i * FEATURES + j] - m, 2) / (n - 1);
        sum += sq;
    }
    return sum;
}

/* judge -- n images x of class k against m others, real, of it. */
static judged judge(const fd_net *net, const fd_space *s, int k, int n, const fd_real *x, int m,
                    const fd_real *real, fd_arena a)
{
    fd_real *f = fd_raw(&a, fd_real, (ptrdiff_t)(n + m) * FEATURES), *g = f + n * FEATURES;
    fd_real *want = fd_raw(&a, fd_real, n);
    int right = 0;
    need(a.st);
    for (int i = 0; i < n; i++) want[i] = (fd_real)k;
    features_of(net, s, n, x, f, want, &right, a);
    features_of(net, s, m, real, g, NULL, NULL, a);
    judged q = { feature_distance(net, s, n, x, m, g, a), (double)right / n,
                 spread_of(n, f) / spread_of(m, g) };
    need(a.st);
    return q;
}

/* drawn -- o->n images of every class with weight w, from their file or now. */
static const fd_real *drawn(fd_arena *a, const kit *k, double w, const args *o)
{
    char file[32], more[96];
    sprintf(file, "w%g.npy", w);
    const char *path = in_dir(o->outdir, file);
    sprintf(more, "--steps %d --seed %llu --batch 64", o->steps, (unsigned long long)o->seed);
    args q = flags_read(a, SAMPLE, DRAW, more);
    const char *how = how_drawn(a, &q, k->opt->step);
    const fd_real *kept = samples_kept(a, path, &k->s, CLASSES * o->n, how);
    if (kept) return kept;
    fd_real *x = fd_raw(a, fd_real, CLASSES * o->n * fd_size(&k->s));
    need(a->st);
    for (int c = 0; c < CLASSES; c++) {
        fd_arena own = *a;
        kit told = *k;
        told.model = kit_guided(&own, k, c, w);
        q.first = c * o->n;
        sample(&told, &q, o->n, x + c * o->n * fd_size(&k->s), 0, 0, NULL, own);
    }
    how_write(a->st, path, how);
    functions_save(*a, path, &k->s, k->axes, CLASSES * o->n, x);
    return x;
}

/* table -- real images, then those of each weight: a line for each class in the picture. */
static void table(const args *o, const kit *k, const fd_net *net, fd_real *const real[],
                  const int count[], fd_arena a)
{
    static char text[4096] = "w,class,frechet,recognised,spread\n";
    const fd_space *s = &k->s;
    const ptrdiff_t size = fd_size(s);
    const int top = 26, cell = s->n[0] + 2, wide = s->n[1] + 2, left = 76, gap = 8, n = o->n;
    plot_canvas c = plot_new(&a, top + CLASSES * cell + 4,
                             left + (REAL + WEIGHTS * SHOW) * wide + WEIGHTS * gap);
    printf("\n%8s %10s %12s %10s\n", "w", "Frechet", "recognised", "spread");
    for (int e = -1; e < WEIGHTS; e++) {
        fd_arena own = a;
        const fd_real *x = e < 0 ? NULL : drawn(&own, k, weight[e], o);
        int show = e < 0 ? REAL : SHOW;
        int at = e < 0 ? left : left + (REAL + e * SHOW) * wide + (e + 1) * gap;
        char name[32] = "real";
        double sum[3] = { 0, 0, 0 };
        if (e >= 0) sprintf(name, "w = %g", weight[e]);
        plot_caption(&c, 6, at, show * wide, 1, name);
        for (int i = 0; i < CLASSES; i++) {
            const int y = top + i * cell;
            const fd_real *from = e < 0 ? real[i] : x + i * n * size;
            judged v = judge(net, s, i, n, from, count[i] - n, real[i] + n * size, own);
            sum[0] += v.frechet / CLASSES, sum[1] += v.right / CLASSES;
            sum[2] += v.spread / CLASSES;
            sprintf(text + strlen(text), "%s,%s,%.5g,%.4g,%.4g\n", e < 0 ? "real" : name + 4,
                    class_name[i], v.frechet, v.right, v.spread);
            if (e < 0) plot_text(&c, y + cell / 2 - 4, 6, 1, class_name[i]);
            for (int j = 0; j < show; j++)
                plot_image(&c, y, at + j * wide, s->n[0], s->n[1], from + j * size, -1, 1,
                           FD_GRAY, 1);
        }
        printf("%8s %10.2f %11.1f%% %10.2f\n", e < 0 ? "real" : name + 4, sum[0], 100 * sum[1],
               sum[2]);
        fflush(stdout);
    }
    fd_png_save(a.st, in_dir(o->outdir, "classes.png"), c.h, c.w, c.rgb);
    need(a.st);
    wrote(in_dir(o->outdir, "classes.png"));
    text_save(in_dir(o->outdir, "classes.csv"), text);
}

int main(int argc, char **argv)
{
    static args o;
    fd_status st;
    start("classes", argv);
    options_read(&o, THESIS, "classes --help", argc - 1, argv + 1);
    if (o.help) { options_help(THESIS); return finish(); }
    if (!o.data || !o.labels) die(2, "needs --data FILE of images and --labels FILE");
    if (!is_given("outdir")) o.outdir = "out/classes";
    if (!is_given("n")) o.n = 100;
    if (!is_given("steps")) o.steps = 32;
    if (!is_given("train")) o.train = 2400;
    fd_arena a = arena_make(&o, &st);
    exactly(a);
    make_dir(o.outdir);
    dataset d = data_open(&a, o.data, &o, NULL, o.grid, (shape){ 2, { 28, 28, 1 } });
    fd_array y = fd_load(&a, o.labels);
    need(&st);
    data_label(&a, &d, o.labels);
    if (d.labels > CLASSES) die(1, "%s: more than %d classes", o.labels, CLASSES);
    if (d.s.nd != 2 || d.s.n[0] % 4 || d.s.n[1] % 4)
        die(1, "%s: wants images with sides of 4 k", o.data);
    int held = d.m / HELD, count[CLASSES] = { 0 }, n = o.n, least = INT_MAX;
    ptrdiff_t size = fd_size(&d.s);
    fd_real *real[CLASSES];
    d.m -= held;                                       /* the last sixth is not trained on */
    for (int i = d.m; i < d.m + held; i++) count[d.label[i]]++;
    for (int c = 0; c < CLASSES; c++) {
        real[c] = fd_raw(&a, fd_real, count[c] * size);
        if (count[c] < least) least = count[c];
        count[c] = 0;
    }
    if (least < 2 * n)
        die(1, "%s: a class with %d of the images that are held out: wants 2 -n", o.labels, least);
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    data_say(&d, "", NULL);
    for (int i = d.m; i < d.m + held; i++) {
        int c = d.label[i];
        data_take(&d, i, real[c] + count[c]++ * size, a);
    }
    data_keep(&a, &d, (double)(a.end - a.beg) / 4);
    const char *path = in_dir(o.outdir, "classifier.safetensors");
    fd_net *net = classifier(&a, path, &d, d.m, y.x, o.seed);
    char more[160];
    sprintf(more, "--steps %d --batch %d --seed %llu --lr %.17g --decay 0.03 --warmup 100", o.train,
            o.batch, (unsigned long long)o.seed, o.lr);
    args q = flags_read(&a, TRAIN, FLAGS, more);
    kit *k = model_made(&a, in_dir(o.outdir, "uvit.safetensors"), &q, &d);
    table(&o, k, net, real, count, a);
    return finish();
}
