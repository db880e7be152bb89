/* thesis.c -- the experiments of [Thesis, chapter 5] at a small scale: its tables 5.1 to 5.3 with the
 * same networks, processes, covariances, times and samplers in small, on any images (IDX or .npy).
 * make thesis: on Fashion-MNIST, an hour of one core; what came out is in thesis.md and thesis.png.
 *
 * Differs from the thesis: images of 28x28; as few steps as --train says, at a rate of 1e-3, not 500 000 at
 * 1e-5; a network of a third of its size; no flips, for shoes have a side; algorithm 3 with 1/t where the print
 * has (Rt)^-1; the covariance of the data centred and in our normalisation. Its Frechet distance is of
 * Inception's features; here of the 64 features of a small classifier that is trained first (--labels), and of
 * principal components: numbers to compare with each other and with "other real images", not with the thesis's.
 *
 * Everything lands in --outdir as it is made, and a run that was stopped goes on where it was: the
 * classifier, a network and a file of samples for each row. */
#include "common.h"

enum { FEATURES = 64, CLASSES = 10, PCS = 32, SHOW = 12, HELD = 6 };

/* ---- The experiments ------------------------------------------------------------------------- */

#define UVIT "uvit:tscale=100"
#define MODULATED "vit-field:field-width=64,field-layers=3,omega=30,latent=64,pixels=0"
#define GENERAL "fdp:b1=10"
#define WHITE "pixel-white"
#define RHAT "empirical"
enum { PC, EM, VE };                   /* samplers: SDE and corrector; driftless, uniform, geometric */

/* Rows of the same model share its network. stretch: of the last time, in sampling. */
static const struct {
    const char *table, *name, *model, *net, *process, *cov, *law, *precond;
    int sampler;
    double stretch, fid;               /* the thesis's */
    const char *start;
} rows[] = {
    { "5.1", "U-ViT, white", "white", "uvit", GENERAL, WHITE, "stratified", "none", PC, 1, 14.88, "noise" },
    { "5.1", "U-ViT, coloured", "coloured", "uvit", GENERAL, "ortho-fdp", "stratified", "none", PC, 1, 13.00, "noise" },
    { "5.1", "modulation, white", "mod-white", MODULATED, GENERAL, WHITE, "stratified", "none", PC, 1, 22.26, "noise" },
    { "5.1", "modulation, coloured", "mod-coloured", MODULATED, GENERAL, "ortho-fdp", "stratified", "none", PC, 1, 26.01, "noise" },
    { "5.2", "R = R^, T = 10", "R-10", UVIT, "driftless:tmax=10,tmin=0.1", RHAT, "stratified", "none", EM, 1, 19.97, "noise" },
    { "5.2", "R = R^, T = 20", "R-20", UVIT, "driftless:tmax=20,tmin=0.2", RHAT, "stratified", "none", EM, 1, 22.24, "noise" },
    { "5.2", "R = R^, T = 100", "R-100", UVIT, "driftless:tmax=100,tmin=1", RHAT, "stratified", "none", EM, 1, 63.52, "noise" },
    { "5.2", "R = I, T = 10", "I-10", UVIT, "driftless:tmax=10,tmin=0.1", WHITE, "stratified", "none", EM, 1, 40.99, "noise" },
    { "5.2", "R = I, T = 20", "I-20", UVIT, "driftless:tmax=20,tmin=0.2", WHITE, "stratified", "none", EM, 1, 23.56, "noise" },
    { "5.2", "R = I, T = 100", "I-100", UVIT, "driftless:tmax=100,tmin=1", WHITE, "stratified", "none", EM, 1, 140.63, "noise" },
    { "text", "R = R^, T = 10, then 15", "R-10", NULL, NULL, NULL, NULL, NULL, EM, 1.5, NAN, "noise" },
    { "text", "R = R^, T = 20, then 30", "R-20", NULL, NULL, NULL, NULL, NULL, EM, 1.5, NAN, "noise" },
    { "ours", "R = R^, T = 10, start matched", "R-10", NULL, NULL, NULL, NULL, NULL, EM, 1, NAN, "matched" },
    { "ours", "R = R^, T = 20, start matched", "R-20", NULL, NULL, NULL, NULL, NULL, EM, 1, NAN, "matched" },
    { "5.3", "log t, T = 20", "log-20", UVIT, "driftless:tmax=20,tmin=0.01", RHAT, "log", "none", VE, 1, 43.83, "noise" },
    { "5.3", "log t, T = 100", "log-100", UVIT, "driftless:tmax=100,tmin=0.01", RHAT, "log", "none", VE, 1, 41.38, "noise" },
    { "5.3", "log t, T = 1000", "log-1000", UVIT, "driftless:tmax=1000,tmin=0.01", RHAT, "log", "none", VE, 1, 47.19, "noise" },
    { "ours", "5.3, T = 100, preconditioned", "gauss-R", UVIT, "driftless:tmax=100,tmin=0.01", RHAT, "log", "gauss", VE, 1, NAN, "noise" },
    { "ours", "the same, R = I", "gauss-I", UVIT, "driftless:tmax=100,tmin=0.01", WHITE, "log", "gauss", VE, 1, NAN, "noise" },
};

/* ---- The classifier -------------------------------------------------------------------------
 *
 * Three convolutions of 8, 16 and 32 channels with ReLU, means over 2x2 after the first two, a dense layer of
 * FEATURES with ReLU, the features, and one to the classes; softmax and cross-entropy. */

static fd_var *halve(fd_tape *t, fd_var *h)
{
    if (!h) return NULL;
    int b = h->n[0], n = h->n[1] / 2, m = h->n[2] / 2, c = h->n[3];
    h = fd_reshape(t, h, 6, (int[]){ b, n, 2, m, 2, c });
    h = fd_affine(t, fd_sum_to(t, h, 6, (int[]){ b, n, 1, m, 1, c }), 0.25, 0);
    return fd_reshape(t, h, 4, (int[]){ b, n, m, c });
}

/* next -- the next weights of a network, of nd axes. */
static fd_var *next(fd_tape *t, const fd_net *net, ptrdiff_t *at, int nd, const int n[])
{
    fd_var *w = fd_param(t, nd, n, net->w + *at, net->g + *at);
    if (w) *at += fd_count(w);
    return w;
}

/* classify -- features, and with z the classes, of b images x. count: the weights that it used. */
static fd_var *classify(fd_tape *t, const fd_net *net, const fd_space *s, int b, const fd_real *x,
                        fd_var **z, ptrdiff_t *count)
{
    ptrdiff_t at = 0;
    int c = s->ch, flat = (int)(s->points / 16) * 32;
    fd_var *h = fd_permute(t, fd_input(t, 3, (int[]){ b, c, (int)s->points }, x), (int[]){ 0, 2, 1 });
    h = fd_reshape(t, h, 4, (int[]){ b, s->n[0], s->n[1], c });
    for (int l = 0, to = 8; l < 3; l++, c = to, to *= 2) {
        h = fd_conv3(t, h, next(t, net, &at, 4, (int[]){ 3, 3, c, to }), NULL);
        h = fd_map(t, fd_add(t, h, next(t, net, &at, 1, &to)), FD_RELU);
        if (l < 2) h = halve(t, h);
    }
    h = fd_reshape(t, h, 2, (int[]){ b, flat });
    for (int l = 0, in = flat, to = FEATURES; l < 2; l++, in = to, to = CLASSES) {
        fd_var *y = fd_matmul(t, 0, 0, h, next(t, net, &at, 2, (int[]){ in, to }));
        y = fd_add(t, y, next(t, net, &at, 1, &to));
        if (l) *z = y;
        else h = fd_map(t, y, FD_RELU);
    }
    *count = at;
    return h;
}

/* features_of -- those of m images; right: how many classes are those of y, where not NULL. */
static void features_of(const fd_net *net, const fd_space *s, int m, const fd_real *x, fd_real *to,
                        const fd_real *y, int *right, fd_arena a)
{
    for (int i = 0; i < m; i += 100) {
        int b = m - i < 100 ? m - i : 100;
        ptrdiff_t count;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *z = NULL, *h = classify(&t, net, s, b, x + i * fd_size(s), &z, &count);
        need(a.st);
        memcpy(to + (ptrdiff_t)i * FEATURES, h->x, (size_t)(b * FEATURES) * sizeof *to);
        for (int j = 0; y && j < b; j++) {
            int best = 0;
            for (int k = 1; k < CLASSES; k++)
                if (z->x[j * CLASSES + k] > z->x[j * CLASSES + best]) best = k;
            *right += best == (int)y[i + j];
        }
        fd_tape_end(&t);
    }
}

/* classifier -- from its file, or trained on m images of d with labels y for two epochs. */
static fd_net *classifier(fd_arena *a, const char *path, const dataset *d, int m, const fd_real *y,
                          uint64_t seed)
{
    enum { B = 100 };
    fd_net *net = fd_new(a, fd_net, 1);
    fd_status *st = a->st;
    need(st);
    int c = d->s.ch, in[5] = { 9 * c, 72, 144, (int)d->s.points * 2, FEATURES };
    int out[5] = { 8, 16, 32, FEATURES, CLASSES };
    for (int l = 0; l < 5; l++) net->count += (in[l] + 1) * out[l];
    net->w = fd_new(a, fd_real, net->count);
    net->g = fd_new(a, fd_real, net->count);
    need(st);
    fd_tensor w = { "w", 1, { (int)net->count }, net->w, NULL };
    if (!access(path, R_OK)) {
        fd_tensors f = fd_tensors_load(a, path);
        need(st);
        const fd_tensor *p = fd_tensor_find(&f, "w");
        if (!p || p->nd != 1 || p->n[0] != net->count) die(1, "%s: another network", path);
        memcpy(net->w, p->x, (size_t)net->count * sizeof *net->w);
        return net;
    }
    fd_rng r = fd_stream(fd_seed(seed), 'c', 0);
    fd_real *at = net->w;
    for (int l = 0; l < 5; at += (in[l] + 1) * out[l], l++) {
        fd_normal(fd_stream(r, 'w', (uint32_t)l), in[l] * out[l], at);
        for (int i = 0; i < in[l] * out[l]; i++) at[i] *= (fd_real)sqrt(2.0 / in[l]);
    }
    int steps = 2 * m / B, *p = fd_raw(a, int, m);
    ptrdiff_t size = fd_size(&d->s), count;
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.lr = 2e-3; how.warmup = 50; how.steps = steps;
    fd_opt *opt = fd_opt_new(a, net, &how);
    fd_real *x = fd_raw(a, fd_real, B * size), *hot = fd_raw(a, fd_real, B * CLASSES);
    need(st);
    for (int k = 0; k < steps; k++) {
        if (k % (m / B) == 0) fd_perm(fd_stream(r, 'p', (uint32_t)k), m, p);
        memset(hot, 0, B * CLASSES * sizeof *hot);
        for (int i = 0; i < B; i++) {
            int j = p[k % (m / B) * B + i];
            data_take(d, j, x + i * size, *a);
            hot[i * CLASSES + (int)y[j]] = (fd_real)(-1.0 / B);
        }
        fd_tape t = fd_tape_begin(a, FD_GRAD);
        fd_var *z = NULL;
        classify(&t, net, &d->s, B, x, &z, &count);
        z = fd_map(&t, fd_affine(&t, fd_softmax(&t, z), 1 - 1e-6, 1e-7), FD_LOG);
        fd_backward(&t, fd_mul(&t, z, fd_input(&t, 2, (int[]){ B, CLASSES }, hot)));
        fd_tape_end(&t);
        fd_opt_step(opt, net, st);
        need(st);
    }
    memcpy(net->w, opt->avg, (size_t)net->count * sizeof *net->w);
    fd_tensors_save(st, path, &(fd_tensors){ 1, 0, &w, NULL, 0, NULL });
    need(st);
    return net;
}

/* ---- Training and sampling ------------------------------------------------------------------- */

/* network -- of row i, trained to the end. */
static kit *network(fd_arena *a, int i, const dataset *d, const args *o)
{
    static curve c;
    args q;
    char file[64];
    kit *k = NULL;
    options_read(&q, TRAIN, "", 0, NULL);
    sprintf(file, "%s.safetensors", rows[i].model);
    q.out = in_dir(o->outdir, file);
    if (!access(q.out, R_OK)) k = kit_load(a, q.out, &q);
    q.steps = o->train;
    q.batch = o->batch;
    q.seed = o->seed;
    q.quiet = 1;
    q.lr = o->lr;
    q.decay = 0.03;
    q.warmup = 100;
    if (!k) {
        q.process = spec_read(&t_process, "", rows[i].process);
        q.cov = spec_read(&t_cov, "", rows[i].cov);
        q.net = spec_read(&t_net, "", rows[i].net);
        q.law = spec_read(&t_law, "", rows[i].law);
        q.precond = spec_read(&t_precond, "", rows[i].precond);
        k = kit_new(a, &q, d, NULL);
    }
    k->opt->how.steps = q.steps;
    if (k->opt->step < q.steps) {
        memset(&c, 0, sizeof c);
        int sig = train(k, d, &q, &c, *a);
        if (sig) { finish(); exit(128 + sig); }
    }
    return k;
}

/* samples -- o->n of row i, from their file or now. */
static const fd_real *samples(fd_arena *a, int i, const dataset *d, const args *o)
{
    args q;
    char file[64];
    sprintf(file, "%s%s%s.npy", rows[i].model, rows[i].stretch > 1 ? "-more" : "",
            strcmp(rows[i].start, "noise") ? "-matched" : "");
    const char *path = in_dir(o->outdir, file);
    ptrdiff_t n = o->n * fd_size(&d->s);
    if (!access(path, R_OK)) {
        fd_array f = fd_npy_load(a, path);
        need(a->st);
        if (points_of(&f, 0) != n) die(1, "%s: not %d samples", path, o->n);
        return f.x;
    }
    fd_real *x = fd_raw(a, fd_real, n);
    kit *k = network(a, i, d, o);
    if (rows[i].stretch > 1) {
        k->process.v[0] *= rows[i].stretch;            /* tmax of driftless */
        kit_close(a, k, &k->s);
        need(a->st);
    }
    options_read(&q, SAMPLE, "", 0, NULL);
    q.scheme = spec_read(&t_scheme, "", "euler-maruyama");
    q.times = spec_read(&t_times, "", rows[i].sampler == VE ? "geometric" : "uniform");
    if (rows[i].sampler == PC) q.corrector = spec_read(&t_corrector, "", "snr:c=0.16,at=begin");
    q.start = spec_read(&t_start, "", rows[i].start);
    q.steps = rows[i].sampler == PC ? o->steps / 2 : o->steps - 1;     /* of two evaluations, of one */
    q.seed = o->seed;
    q.batch = 64;
    sample(k, &q, o->n, x, 0, 0, NULL, *a);
    functions_save(*a, path, &k->s, k->axes, o->n, x);
    return x;
}

/* ---- The tables ------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    static args o;
    static char text[8192] = "table,row,features,components,thesis_fid\n";
    fd_status st;
    start("thesis", argv);
    options_read(&o, THESIS, "thesis --help", argc - 1, argv + 1);
    if (o.help) { options_help(THESIS); return finish(); }
    if (!o.data) die(2, "needs --data FILE of images");
    fd_arena a = arena_make(&o, &st);
    make_dir(o.outdir);
    dataset d = data_open(&a, o.data, &o, NULL, o.grid, (shape){ 2, { 28, 28, 1 } });
    fd_array y = { 0, { 0 }, NULL };
    if (o.labels) y = fd_load(&a, o.labels);
    need(&st);
    if (o.labels && (y.nd != 1 || y.n[0] != d.m)) die(1, "%s: not a label for each image", o.labels);
    if (d.s.nd != 2 || d.s.n[0] % 4 || d.s.n[1] % 4) die(1, "%s: wants images with sides of 4 k", o.data);
    int held = d.m / HELD, ref = held - o.n, right = 0;
    ptrdiff_t size = fd_size(&d.s);
    if (ref < 2 * PCS) die(1, "%s: too few images for -n %d", o.data, o.n);
    d.m -= held;                                       /* the last sixth is not trained on */
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    data_say(&d, "", NULL);
    const fd_real *real = data_gather(&a, &d, d.m, held);
    data_keep(&a, &d, (double)(a.end - a.beg) / 4);
    fd_net *net = y.x ? classifier(&a, in_dir(o.outdir, "classifier.safetensors"), &d, d.m, y.x, o.seed)
                      : NULL;
    fd_space fs = fd_grid(&a, 1, (int[]){ FEATURES }, NULL, NULL, 1);
    fd_real *f = fd_raw(&a, fd_real, (ptrdiff_t)held * FEATURES), *g = fd_raw(&a, fd_real, o.n * FEATURES);
    fd_real *show = fd_raw(&a, fd_real, (COUNT(rows) + 1) * SHOW * size);
    need(&st);
    if (net) {
        features_of(net, &d.s, held, real, f, y.x + d.m, &right, a);
        printf("classifier: %.1f %% of %d images that it has not seen\n", 100.0 * right / held, held);
    }
    printf("\n%-5s %-30s %10s %12s %12s\n", "table", "row", "features", "components", "thesis: FID");
    for (int i = -1; i < COUNT(rows); i++) {
        fd_arena b = a;
        const fd_real *x = real + ref * size;
        if (i >= 0) x = samples(&b, i, &d, &o);
        double far = NAN, pcs = fd_frechet(&d.s, PCS, o.n, x, ref, real, b);
        if (net) {                                     /* a point of fs has the weight 1/FEATURES */
            features_of(net, &d.s, o.n, x, g, NULL, NULL, b);
            far = FEATURES * fd_frechet(&fs, FEATURES, o.n, g, ref, f, b);
        }
        need(&st);
        memcpy(show + (i + 1) * SHOW * size, x, (size_t)(SHOW * size) * sizeof *x);
        const char *table = i < 0 ? "" : rows[i].table, *name = i < 0 ? "other real images" : rows[i].name;
        double fid = i < 0 ? NAN : rows[i].fid;
        printf("%-5s %-30s %10.3f %12.4f ", table, name, far, pcs);
        if (fid > 0) printf("%12.2f\n", fid);
        else puts("");
        fflush(stdout);
        sprintf(text + strlen(text), "%s,\"%s\",%.6g,%.6g,%g\n", table, name, far, pcs, fid);
    }
    fd_png_sheet(&st, in_dir(o.outdir, "thesis.png"), COUNT(rows) + 1, SHOW, d.s.n[0], d.s.n[1], show, -1, 1,
                 FD_GRAY, 1, a);
    need(&st);
    wrote(in_dir(o.outdir, "thesis.png"));
    text_save(in_dir(o.outdir, "thesis.csv"), text);
    return finish();
}
