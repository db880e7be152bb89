/* rivals.h -- models of functions by several methods, on the same data, under the same yardsticks.
 *
 * Two trials. `kinds`: functions on the circle of two kinds, each a mean and a Gaussian random
 * function, 48 points, drawn on 192 as well; the law is known. `clothes`: Fashion-MNIST on 28x28
 * points, drawn on 56x56 and 112x112, judged on 28x28 by means over squares.
 *
 * latent.c, hybrid.c, vae.c and gan.c each add rows: samples in --outdir, with the seconds of a
 * core that training and drawing took. Each ends with the table and pictures of all rows that are
 * there, in rivals.csv, kinds.png and clothes.png. What is there is not made again. */
#ifndef RIVALS_H
#define RIVALS_H
#include "classifier.h"
#include "plot.h"
#include "rows.h"

enum { KINDS, CLOTHES, TRIALS, GRIDS = 3, SIXTH = 6, PCS = 32, PAIRED = 512, LINES = 8 };
static const char *const trial_name[TRIALS] = { "kinds", "clothes" };
/* by: the row whose training it shares */
static const struct { const char *file, *label, *by; } rivals[] = {
    { "operator", "operator", "operator" },
    { "latent", "latent diffusion", "latent" },
    { "codes", "Gaussian codes", "latent" },
    { "recoded", "real, coded and decoded", "latent" },
    { "operator-x0", "operator, says x0", "operator-x0" },
    { "hybrid", "operator + field", "hybrid" },
    { "hybrid-late", "operator + field, last", "hybrid" },
    { "hybrid-blind", "field without values", "hybrid-blind" },
    { "field", "meta-learned field", "field" },
    { "vae", "VAE, white", "vae" },
    { "vae-mean", "VAE, white, no residual", "vae" },
    { "vae-matern", "VAE, Matern", "vae-matern" },
    { "gan", "GAN", "gan" },
};

typedef struct {
    int kind, grids, n[GRIDS];             /* functions that are drawn on each grid */
    dataset d;                             /* to learn from */
    const fd_real *held, *labels;          /* functions that are not, and their classes, or NULL */
    int m;                                 /* how many */
    fd_space s[GRIDS];
    const args *o;
} trial;

static inline double cpu(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* trial_path -- the file of a row, e.g. out/rivals/kinds-gan-0.npy. */
static inline const char *trial_path(const trial *q, const char *rival, const char *end)
{
    char name[160];
    snprintf(name, sizeof name, "%s-%s%s", trial_name[q->kind], rival, end);
    return in_dir(q->o->outdir, name);
}

/* spent -- adds seconds to those of a row and says how many they are. */
static inline double spent(const trial *q, const char *rival, const char *end, double more)
{
    double all = 0;
    char text[64];
    const char *path = trial_path(q, rival, end);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lf", &all) != 1) all = 0;
    if (f) fclose(f);
    if (more > 0) {
        sprintf(text, "%.3f\n", all += more);
        f = fopen(path, "w");
        if (!f || fputs(text, f) < 0 || fclose(f)) die(1, "%s: cannot be written", path);
    }
    return all;
}

/* ---- The two trials -------------------------------------------------------------------------- */

/* kinds_law -- means [2][points] and covariances on a grid of the circle. */
static inline void kinds_law(fd_arena *a, const fd_space *s, fd_real *mean, const fd_cov *c[2])
{
    c[0] = fd_cov_matern(a, s, .1, .2, 2.5), c[1] = fd_cov_matern(a, s, .05, .3, 2.5);
    for (int j = 0; j < s->points; j++) {
        double u = 2 * acos(-1) * j / (double)s->points;
        mean[j] = (fd_real)sin(u), mean[s->points + j] = (fd_real)(-.7 * cos(2 * u));
    }
}

/* kinds_draw -- n functions of the exact law; the same ones on every grid. */
static inline void kinds_draw(const fd_space *s, fd_rng r, int n, fd_real *x, fd_arena a)
{
    const ptrdiff_t size = s->points;
    fd_real *y = fd_raw(&a, fd_real, 2 * n * size), *mean = fd_raw(&a, fd_real, 2 * size);
    const fd_cov *c[2];
    need(a.st);
    kinds_law(&a, s, mean, c);
    for (int k = 0; k < 2; k++)
        fd_cov_draw(c[k], fd_stream(r, 'd', (uint32_t)k), 0, n, y + k * n * size, a);
    for (int i = 0; i < n; i++) {
        int k = (int)fd_index(fd_stream(r, 'k', 0), (uint64_t)i, 2);
        for (ptrdiff_t j = 0; j < size; j++)
            x[i * size + j] = mean[k * size + j] + y[(k * n + i) * size + j];
    }
    need(a.st);
}

static inline trial trial_kinds(fd_arena *a, const args *o)
{
    enum { MANY = 8192 };
    trial q = { .kind = KINDS, .grids = 2, .n = { 1024, 1024 }, .m = 1024, .o = o };
    for (int g = 0; g < q.grids; g++) q.s[g] = fd_grid(a, 1, (int[]){ 48 << 2 * g }, NULL, NULL, 1);
    fd_real *x = fd_raw(a, fd_real, (MANY + q.m) * q.s[0].points);
    need(a->st);
    kinds_draw(&q.s[0], fd_stream(fd_seed(o->seed), 'K', 0), MANY + q.m, x, *a);
    q.held = x + MANY * q.s[0].points;
    q.d = data_array("kinds", &q.s[0], MANY, x);
    data_measure(a, &q.d, NORMALIZE_NONE, NULL);
    return q;
}

static inline trial trial_clothes(fd_arena *a, args *o)
{
    trial q = { .kind = CLOTHES, .grids = 3, .n = { 256, 64, 3 }, .o = o };
    o->bc[0] = o->bc[1] = FD_NEUMANN;
    q.d = data_open(a, o->data, o, NULL, (shape){ 0, { 0 } }, (shape){ 2, { 28, 28, 1 } });
    if (q.d.s.nd != 2 || q.d.s.n[0] != 28 || q.d.s.n[1] != 28 || q.d.s.ch != 1)
        die(1, "%s: wants images of 28x28", o->data);
    q.m = q.d.m / SIXTH;
    if (q.m < 4 * q.n[0]) die(1, "%s: too few images, %d", o->data, q.d.m);
    if (o->labels) {
        fd_array y = fd_load(a, o->labels);
        need(a->st);
        if (y.nd != 1 || y.n[0] != q.d.m) die(1, "%s: not a label for each image", o->labels);
        q.labels = y.x + (q.d.m - q.m);
    }
    q.d.m -= q.m;                                      /* the last sixth is not trained on */
    data_measure(a, &q.d, NORMALIZE_NONE, NULL);
    q.held = data_gather(a, &q.d, q.d.m, q.m);
    data_keep(a, &q.d, 1e9);
    for (int g = 0; g < q.grids; g++)
        q.s[g] = fd_grid(a, 2, (int[]){ 28 << g, 28 << g }, NULL, o->bc, 1);
    need(a->st);
    return q;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* drawer -- functions of a model on grid g of a trial. */
typedef void drawer(const void *self, const trial *q, int g, int n, fd_real *x, fd_arena a);

/* rival_draw -- the samples of a row, of those grids that have none yet. */
static inline void rival_draw(const trial *q, const char *rival, drawer *draw, const void *self,
                              fd_arena a)
{
    for (int g = 0; g < q->grids; g++) {
        fd_arena b = a;
        char end[2][32];
        sprintf(end[0], "-%d.npy", g), sprintf(end[1], "-%d.s", g);
        const char *path = trial_path(q, rival, end[0]);
        if (!access(path, R_OK)) continue;
        fd_real *x = fd_raw(&b, fd_real, q->n[g] * q->s[g].points);
        need(b.st);
        double begin = cpu();
        draw(self, q, g, q->n[g], x, b);
        need(b.st);
        functions_save(b, path, &q->s[g], AXES_NONE, q->n[g], x);
        spent(q, rival, end[1], cpu() - begin);
    }
}

/* rival_trained -- a row that fd train makes, by flags. */
static inline kit *rival_trained(fd_arena *a, const trial *q, const char *rival, const char *flags,
                                 const dataset *d)
{
    char more[64];
    sprintf(more, "--seed %llu", (unsigned long long)q->o->seed);
    args o = flags_read(a, TRAIN, flags, more);
    if (q->o->train < o.steps) o.steps = q->o->train;
    double begin = cpu();
    kit *k = model_made(a, trial_path(q, rival, ".safetensors"), &o, d);
    if (cpu() - begin > 1) spent(q, rival, "-train.s", cpu() - begin);
    return k;
}

static inline void kit_draw(const void *self, const trial *q, int g, int n, fd_real *x, fd_arena a)
{
    const kit *k = kit_on(&a, self, shape_of(&q->s[g]));
    args o = flags_read(&a, SAMPLE, "--steps 50 --batch 32", NULL);
    sample(k, &o, n, x, 0, 0, NULL, a);
}

/* ---- Networks that a program trains itself --------------------------------------------------- */

typedef struct { const char *path; fd_net *net, *avg; fd_opt *opt; } learner;

/* learner_new -- from its file, or as it is before training. */
static inline learner learner_new(fd_arena *a, const trial *q, const char *rival, const char *part,
                                  const fd_arch *arch, const fd_adam *how)
{
    char end[64];
    sprintf(end, "%s.safetensors", part);
    learner l = { trial_path(q, rival, end), NULL, NULL, NULL };
    char *kept = fd_raw(a, char, strlen(l.path) + 1);
    need(a->st);
    l.path = strcpy(kept, l.path);
    if (!access(l.path, R_OK)) fd_net_load(a, l.path, &l.net, &l.opt);
    else {
        l.net = fd_net_new(a, arch, fd_stream(fd_seed(q->o->seed), 'w', (uint32_t)*part));
        l.opt = fd_opt_new(a, l.net, how);
    }
    need(a->st);
    l.opt->how = *how;
    l.avg = fd_net_with(a, l.net, l.opt->avg);
    need(a->st);
    return l;
}

/* learn -- call step, which takes one step of every learner and says its loss, up to `steps` of the
 * first one. All of them are saved now and then; Ctrl-C saves them and ends. */
static inline void learn(const trial *q, const char *rival, int count, learner *const l[],
                         int steps, double (*step)(void *self, int k, fd_arena a), void *self,
                         fd_arena a)
{
    enum { SAVE = 250 };
    double begin = cpu(), loss = 0;
    int since = 0;
    if (q->o->train < steps) steps = q->o->train;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (int k = l[0]->opt->step; k < steps; k++) {
        loss += (step(self, k, a) - loss) / ++since;
        need(a.st);
        if (!stopped && (k + 1) % SAVE && k + 1 < steps) continue;
        for (int i = count - 1; i >= 0; i--)
            fd_net_save(a.st, l[i]->path, l[i]->net, l[i]->opt, NULL, a);
        need(a.st);
        spent(q, rival, "-train.s", cpu() - begin);
        begin = cpu();
        printf("%s %s, step %5d  loss %.4f\n", trial_name[q->kind], rival, k + 1, loss);
        fflush(stdout), since = 0;
        if (stopped) { int sig = stopped; finish(); exit(128 + sig); }
    }
}

/* batch_take -- b functions of a trial, the same ones whenever step k is taken. */
static inline void batch_take(const trial *q, uint32_t k, int b, fd_real *x, fd_arena a)
{
    fd_rng r = fd_stream(fd_seed(q->o->seed), 'b', k);
    for (int i = 0; i < b; i++)
        data_take(&q->d, (int)fd_index(r, (uint64_t)i, q->d.m), x + i * fd_size(&q->d.s), a);
}

/* domain_mean -- y [b][c][points] to its means over the domain [b][c]: an operator, and then
 * functionals. */
static inline fd_var *domain_mean(fd_tape *t, fd_var *y)
{
    if (!y) return NULL;
    int n[3] = { y->n[0], y->n[1], 1 };
    double points = y->n[2];
    return fd_reshape(t, fd_affine(t, fd_sum_to(t, y, 3, n), 1 / points, 0), 2, n);
}

/* ---- What an inner loop finds ---------------------------------------------------------------- */

typedef struct {
    const fd_net *net;
    const fd_space *s;
    const double *time;
    int b;
    const fd_real *x;
} wanted;

static inline fd_var *misfit(const void *self, fd_tape *t, fd_var *z)
{
    const wanted *w = self;
    fd_var *x = fd_input(t, 3, (int[]){ w->b, 1, (int)w->s->points }, w->x);
    fd_var *d = fd_sub(t, fd_inr(w->net, t, w->s, w->b, NULL, w->time, z), x);
    return fd_affine(t, fd_sum_to(t, fd_map(t, d, FD_SQUARE), 1, (int[]){ 1 }), w->s->h, 0);
}

/* adapt -- the codes z [n][latent] that the inner loop of a field with learned rates finds for n
 * functions; time [n], or NULL for a network without. */
static inline void adapt(const fd_net *net, const fd_space *s, const double *time, int n,
                         const fd_real *x, fd_real *z, fd_arena a)
{
    enum { AT_ONCE = 32 };
    const int code = net->arch.inr.latent;
    for (int i = 0; i < n; i += AT_ONCE) {
        const int b = n - i < AT_ONCE ? n - i : AT_ONCE;
        wanted w = { net, s, time ? time + i : NULL, b, x + i * s->points };
        memset(z + i * code, 0, (size_t)(w.b * code) * sizeof *z);
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *m = fd_input(&t, 2, (int[]){ w.b, code }, z + i * code);
        fd_var *rate = fd_input(&t, 1, &code, net->w + net->part[net->parts - 1].at);
        m = fd_adapt(&t, net->arch.inr.inner, 0, m, rate, misfit, &w);
        need(a.st);
        memcpy(z + i * code, m->x, (size_t)(w.b * code) * sizeof *z);
        fd_tape_end(&t);
    }
}

/* ---- The table ------------------------------------------------------------------------------- */

enum { SCORES = 4 };
static const char *const score_name[TRIALS][SCORES] = {
    { "energy distance", "W2", "first kind", "waves 4 to 8" },
    { "features", "components", "beyond 28x28", "" } };

/* squares_mean -- n functions of a grid on the first one, by means over squares; clothes. */
static inline void squares_mean(const trial *q, int g, int n, const fd_real *x, fd_real *y)
{
    const int m = q->s[0].n[0], k = q->s[g].n[0] / m;
    memset(y, 0, (size_t)(n * m * m) * sizeof *y);
    for (ptrdiff_t i = 0; i < n * q->s[g].points; i++) {
        ptrdiff_t f = i / q->s[g].points, at = i % q->s[g].points;
        y[f * m * m + at / (m * k) / k * m + at % (m * k) / k] += x[i] / (fd_real)(k * k);
    }
}

/* high -- the share of the energy in waves from lo to hi. */
static inline double high(const fd_space *s, int n, const fd_real *x, int lo, int hi, fd_arena a)
{
    double e[160] = { 0 }, part = 0, all = 0;
    fd_spectrum(s, n, x, 160, e, a);
    for (int i = 0; i < 160; i++) {
        all += e[i];
        if (i >= lo && i <= hi) part += e[i];
    }
    return part / all;
}

/* scores_of -- n functions of grid g: against n others of the exact law, or against images that
 * were not seen, whose features are f. */
static inline void scores_of(const trial *q, int g, int n, const fd_real *x, const fd_net *judge,
                             const fd_real *f, double v[SCORES], fd_arena a)
{
    const fd_space *s = &q->s[g];
    const ptrdiff_t size = s->points;
    for (int i = 0; i < SCORES; i++) v[i] = NAN;
    if (q->kind == CLOTHES) {
        fd_real *y = fd_raw(&a, fd_real, n * q->s[0].points);
        const int ref = q->m - q->n[0];                /* the last ones are the second real set */
        need(a.st);
        squares_mean(q, g, n, x, y);
        if (judge) v[0] = feature_distance(judge, &q->s[0], n, y, ref, f, a);
        v[1] = fd_frechet(&q->s[0], PCS, n, y, ref, q->held, a);
        v[2] = g ? high(s, n, x, 28, 159, a) : NAN;
        return;
    }
    fd_real *real = fd_raw(&a, fd_real, n * size), *mean = fd_raw(&a, fd_real, 2 * size);
    double *cost = fd_raw(&a, double, PAIRED * PAIRED), first = 0;
    int to[PAIRED];
    const fd_cov *c[2];
    need(a.st);
    kinds_draw(s, fd_seed(8), n, real, a);
    kinds_law(&a, s, mean, c);
    for (int i = 0; i < PAIRED * PAIRED; i++) {
        const fd_real *p = x + i / PAIRED * size, *r = real + i % PAIRED * size;
        cost[i] = 0;
        for (ptrdiff_t j = 0; j < size; j++)
            cost[i] += (double)(p[j] - r[j]) * (double)(p[j] - r[j]) / (double)size;
    }
    for (int i = 0; i < n; i++) {
        double d = 0;                                  /* nearer to which mean? */
        for (ptrdiff_t j = 0; j < size; j++) {
            double m0 = (double)mean[j], m1 = (double)mean[size + j];
            d += (m0 - m1) * (2 * (double)x[i * size + j] - m0 - m1);
        }
        first += d > 0;
    }
    v[0] = fd_energy_distance(s, n, x, n, real);
    v[1] = sqrt(fd_assignment(PAIRED, cost, to, a) / PAIRED);
    v[2] = first / n;
    v[3] = high(s, n, x, 4, 8, a) / high(s, n, real, 4, 8, a);
}

/* ---- The picture ----------------------------------------------------------------------------- */

enum { CELL = 112, HEAD = 26, LABEL = 300, APART = 8, ACROSS = 11 };
enum { COLUMNS = 4, WIDE = 350, HIGH = 240 };
static const int shown[GRIDS + 1] = { 0, 5, 8, ACROSS };  /* columns of a grid; clothes */

/* picture_new -- rows of clothes on three grids, all in one size, or a panel of functions each. */
static inline plot_canvas picture_new(fd_arena *a, const trial *q, int rows)
{
    if (!q->kind) return plot_new(a, (rows + COLUMNS - 1) / COLUMNS * HIGH, COLUMNS * WIDE);
    plot_canvas c = plot_new(a, HEAD + rows * (CELL + PLOT_GAP),
                             LABEL + ACROSS * (CELL + PLOT_GAP) + 2 * APART);
    for (int g = 0; g < GRIDS && c.rgb; g++) {
        char text[32];
        sprintf(text, "%dx%d", 28 << g, 28 << g);
        plot_text(&c, 6, LABEL + shown[g] * (CELL + PLOT_GAP) + g * APART, 2, text);
    }
    return c;
}

static inline void picture_add(const trial *q, const plot_canvas *c, int at, const char *label,
                               int g, const fd_real *x, fd_arena a)
{
    const int side = q->s[g].n[0], y = HEAD + at * (CELL + PLOT_GAP);
    if (q->kind) {
        if (!g) plot_text(c, y + CELL / 2 - 8, 6, 2, label);
        for (int i = shown[g]; i < shown[g + 1]; i++)
            plot_image(c, y, LABEL + i * (CELL + PLOT_GAP) + APART * g, side, side,
                       x + (i - shown[g]) * q->s[g].points, -1, 1, FD_GRAY, CELL / side);
        return;
    }
    if (g != 1) return;
    plot *p = fd_new(&a, plot, 1);
    double *u = fd_raw(&a, double, (LINES + 1) * side);
    need(a.st);
    plot_begin(p, WIDE, HIGH, label, NULL, NULL, 0, 0);
    p->lo[1] = -2.2, p->hi[1] = 2.2;
    for (int j = 0; j < side; j++) u[j] = j / (double)side;
    for (int i = 0; i < LINES; i++) {
        for (int j = 0; j < side; j++) u[(i + 1) * side + j] = (double)x[i * side + j];
        plot_line(p, side, u, u + (i + 1) * side, "", PLOT_SOLID);
    }
    plot_canvas one = plot_draw(&a, p);
    need(a.st);
    for (int r = 0; r < HIGH; r++)
        memcpy(c->rgb + 3 * ((ptrdiff_t)(at / COLUMNS * HIGH + r) * c->w + at % COLUMNS * WIDE),
               one.rgb + 3 * (ptrdiff_t)r * WIDE, 3 * WIDE);
}

/* ---- The report ------------------------------------------------------------------------------ */

/* functions_of -- those of a row (-1: of the exact law, or real ones that scores are not taken
 * against, on finer grids as squares), or NULL where there are none. */
static inline const fd_real *functions_of(fd_arena *a, const trial *q, int rival, int g)
{
    char end[32];
    sprintf(end, "-%d.npy", g);
    if (rival >= 0)
        return samples_kept(a, trial_path(q, rivals[rival].file, end), &q->s[g], q->n[g],
                            NULL);
    const ptrdiff_t size = q->s[g].points;
    fd_real *x = fd_raw(a, fd_real, q->n[g] * size);
    need(a->st);
    if (!q->kind) kinds_draw(&q->s[g], fd_seed(9), q->n[g], x, *a);
    for (ptrdiff_t j = 0; q->kind && j < q->n[g] * size; j++) {
        ptrdiff_t at = j % size, w = 28 << g;
        x[j] = q->held[(q->m - q->n[0] + j / size) * 784 + (at / w >> g) * 28 + (at % w >> g)];
    }
    return x;
}

/* line_add -- one line of the table. */
static inline void line_add(const trial *q, int rival, int g, const char *label,
                            const double v[SCORES], char *text)
{
    char grid[64], end[16];
    sprintf(end, "-%d.s", g);
    grid_text(&q->s[g], grid);
    double train = rival < 0 ? 0 : spent(q, rivals[rival].by, "-train.s", 0);
    double draw = rival < 0 ? 0 : spent(q, rivals[rival].file, end, 0);
    printf("%-24s %7s %8.0f %7.1f", label, grid, train, draw);
    text += strlen(text);
    text += sprintf(text, "%s,\"%s\",%s,%d,%.1f,%.1f", trial_name[q->kind], label, grid, q->n[g],
                    train, draw);
    for (int k = 0; k < SCORES; k++) {
        if (isnan(v[k])) printf(" %15s", "");
        else printf(" %15.4g", v[k]);
        text += sprintf(text, isnan(v[k]) ? "," : ",%.5g", v[k]);
    }
    puts("");
    fflush(stdout);
    strcpy(text, "\n");
}

/* report -- the table and the picture of all rows that there are; text: of the .csv. */
static inline void report(const trial *q, char *text, fd_arena a)
{
    const fd_net *judge = NULL;
    fd_real *f = NULL;
    int rows = 1, at = 0;
    if (q->labels) {
        judge = classifier(&a, in_dir(q->o->outdir, "classifier.safetensors"), &q->d, q->d.m,
                           q->labels - q->d.m, q->o->seed);
        f = fd_raw(&a, fd_real, (ptrdiff_t)q->m * FEATURES);
        need(a.st);
        features_of(judge, &q->s[0], q->m, q->held, f, NULL, NULL, a);
    }
    for (int i = 0; i < COUNT(rivals); i++)
        rows += !access(trial_path(q, rivals[i].file, "-0.npy"), R_OK);
    plot_canvas c = picture_new(&a, q, rows);
    need(a.st);
    printf("\n%-24s %7s %8s %7s", trial_name[q->kind], "grid", "train, s", "draw, s");
    for (int i = 0; i < SCORES; i++) printf(" %15s", score_name[q->kind][i]);
    puts("");
    for (int i = -1; i < COUNT(rivals); i++) {
        const char *label = i < 0 ? q->kind ? "other real ones" : "exact law" : rivals[i].label;
        int there = 0;
        for (int g = 0; g < q->grids; g++) {
            fd_arena b = a;
            double v[SCORES];
            const fd_real *x = functions_of(&b, q, i, g);
            if (!x) continue;
            there = 1;
            picture_add(q, &c, at, label, g, x, b);
            if (q->n[g] < PCS) continue;
            scores_of(q, g, q->n[g], x, judge, f, v, b);
            if (i < 0 && q->kind) v[2] = NAN;
            need(b.st);
            line_add(q, i, g, label, v, text);
        }
        at += there;
    }
    const char *png = in_dir(q->o->outdir, q->kind ? "clothes.png" : "kinds.png");
    fd_png_save(a.st, png, c.h, c.w, c.rgb);
    need(a.st);
    wrote(png);
}

/* rivals_of -- the files of a trial are all of one seed and of the same data. */
static inline void rivals_of(const trial *q, fd_arena a)
{
    char how[2200];
    const char *path = trial_path(q, "all", "");
    snprintf(how, sizeof how, "seed %llu, %s, at most %d steps", (unsigned long long)q->o->seed,
             q->kind ? q->o->data : "kinds", q->o->train);
    if (how_said(&a, path)) how_check(a, path, how);
    else how_write(a.st, path, how);
}

/* rivals_main -- what the programs are: both trials, each with its rows, and the table. */
static inline int rivals_main(const char *name, int argc, char **argv,
                              void (*make)(const trial *q, fd_arena a))
{
    static args o;
    static char text[1 << 14] = "data,rival,grid,train_s,draw_s,energy_or_features,"
                                "w2_or_components,first_or_beyond,waves\n";
    fd_status st;
    start(name, argv);
    options_read(&o, THESIS, "--help", argc - 1, argv + 1);
    if (o.help) { options_help(THESIS); return finish(); }
    if (!is_given("outdir")) o.outdir = "out/rivals";
    if (!is_given("train")) o.train = 1 << 30;
    fd_arena a = arena_make(&o, &st);
    make_dir("out"), make_dir(o.outdir);
    for (int i = 0; i < (o.data ? TRIALS : 1); i++) {
        fd_arena b = a;
        trial q = i ? trial_clothes(&b, &o) : trial_kinds(&b, &o);
        rivals_of(&q, b);
        make(&q, b);
        report(&q, text, b);
    }
    text_save(in_dir(o.outdir, "rivals.csv"), text);
    return finish();
}
#endif
