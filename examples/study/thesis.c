/* thesis.c -- the experiments of [Thesis chap. 5] at a small scale: its tables 5.1 to 5.3 with the
 * same networks, processes, covariances, times and samplers in small, on any images (IDX or .npy).
 * make thesis: on Fashion-MNIST, an hour and a half of one core; what came out is in thesis.md and
 * thesis.png. --table 5.1 makes one table alone.
 *
 * Differs from the thesis: images of 28x28; as few steps as --train says, at a rate of 1e-3, not
 * 500 000 at 1e-5; a network of a third of its size; no flips, for shoes have a side; algorithm 3
 * with 1/t where the print has (Rt)^-1; the covariance of the data centred and in our
 * normalisation. Its Frechet distance is of Inception's features; here of the 64 features of a
 * small classifier that is trained first (--labels), and of principal components: numbers to
 * compare with each other and with "other real images", not with the thesis's. FDP's meta-learned
 * field costs ten times as much a step and gets a third of the steps.
 *
 * Everything lands in --outdir as it is made, and a run that was stopped goes on where it was: the
 * classifier, a network and a file of samples for each row. */
#include "classifier.h"
#include "rows.h"

enum { PCS = 32, SHOW = 12, HELD = 6 };

/* ---- The experiments ------------------------------------------------------------------------- */

#define UVIT "--net uvit --process fdp:b1=10"
#define MODULATED "--net vit-field:field-width=64,field-layers=3,omega=30,latent=64,pixels=0" \
                  " --process fdp:b1=10"
#define ADAPTS "--net gabor:width=48,layers=3,omega=30,mod=weights,inner=3,rates=learned" \
               " --process fdp:b1=10"
#define DRIFTLESS "--net uvit:tscale=100 --process driftless"
#define WHITE " --cov pixel-white"
#define COLOURED " --cov ortho-fdp"
#define DATA " --cov empirical"
#define LOG " --time-law log"
#define GAUSS " --precond gauss"
#define EM "--scheme euler-maruyama --start noise --times uniform"
#define PC EM " --corrector snr:c=0.16,at=begin"
#define VE "--scheme euler-maruyama --start noise --times geometric"
#define MATCHED " --start matched"

/* Rows of the same model share its network, which the first of them trains. file: what the name of
 * the samples' has after the model's. stretch: of the last time, in sampling. */
static const struct {
    const char *table, *name, *model, *file, *train, *sample;
    double stretch, fid;               /* the thesis's */
} rows[] = {
    { "5.1", "U-ViT, white", "white", "", UVIT WHITE, PC, 1, 14.88 },
    { "5.1", "U-ViT, coloured", "coloured", "", UVIT COLOURED, PC, 1, 13.00 },
    { "5.1", "modulation, white", "mod-white", "", MODULATED WHITE, PC, 1, 22.26 },
    { "5.1", "modulation, coloured", "mod-coloured", "", MODULATED COLOURED, PC, 1, 26.01 },
    { "5.1", "meta-learned field, white", "meta-white", "", ADAPTS WHITE, PC, 1, NAN },
    { "5.2", "R = R^, T = 10", "R-10", "", DRIFTLESS ":tmax=10,tmin=0.1" DATA, EM, 1, 19.97 },
    { "5.2", "R = R^, T = 20", "R-20", "", DRIFTLESS ":tmax=20,tmin=0.2" DATA, EM, 1, 22.24 },
    { "5.2", "R = R^, T = 100", "R-100", "", DRIFTLESS ":tmax=100,tmin=1" DATA, EM, 1, 63.52 },
    { "5.2", "R = I, T = 10", "I-10", "", DRIFTLESS ":tmax=10,tmin=0.1" WHITE, EM, 1, 40.99 },
    { "5.2", "R = I, T = 20", "I-20", "", DRIFTLESS ":tmax=20,tmin=0.2" WHITE, EM, 1, 23.56 },
    { "5.2", "R = I, T = 100", "I-100", "", DRIFTLESS ":tmax=100,tmin=1" WHITE, EM, 1, 140.63 },
    { "text", "R = R^, T = 10, then 15", "R-10", "-more", NULL, EM, 1.5, NAN },
    { "text", "R = R^, T = 20, then 30", "R-20", "-more", NULL, EM, 1.5, NAN },
    { "ours", "R = R^, T = 10, start matched", "R-10", "-matched", NULL, EM MATCHED, 1, NAN },
    { "ours", "R = R^, T = 20, start matched", "R-20", "-matched", NULL, EM MATCHED, 1, NAN },
    { "5.3", "log t, T = 20", "log-20", "", DRIFTLESS ":tmax=20,tmin=0.01" DATA LOG, VE, 1, 43.83 },
    { "5.3", "log t, T = 100", "log-100", "", DRIFTLESS ":tmax=100,tmin=0.01" DATA LOG, VE, 1,
      41.38 },
    { "5.3", "log t, T = 1000", "log-1000", "", DRIFTLESS ":tmax=1000,tmin=0.01" DATA LOG, VE, 1,
      47.19 },
    { "ours", "5.3, T = 100, preconditioned", "gauss-R", "",
      DRIFTLESS ":tmax=100,tmin=0.01" DATA LOG GAUSS, VE, 1, NAN },
    { "ours", "the same, R = I", "gauss-I", "", DRIFTLESS ":tmax=100,tmin=0.01" WHITE LOG GAUSS, VE,
      1, NAN },
};

/* ---- Training and sampling ------------------------------------------------------------------- */

/* network -- of row i, trained to the end. */
static kit *network(fd_arena *a, int i, const dataset *d, const args *o)
{
    char file[64], more[240];
    sprintf(file, "%s.safetensors", rows[i].model);
    int j = i;
    while (!rows[j].train || strcmp(rows[j].model, rows[i].model)) j--;
    const char *plain = strstr(rows[j].train, "--precond") ? "" : "--precond none";
    const char *law = strstr(rows[j].train, "--time-law") ? "" : "--time-law stratified";
    int steps = strstr(rows[j].train, "inner=") ? (o->train + 2) / 3 : o->train;
    sprintf(more, "%s %s --steps %d --batch %d --seed %llu --lr %.17g --decay 0.03 --warmup 100",
            plain, law, steps, o->batch, (unsigned long long)o->seed, o->lr);
    args q = flags_read(a, TRAIN, rows[j].train, more);
    return model_made(a, in_dir(o->outdir, file), &q, d);
}

/* samples -- o->n of row i, from their file or now. */
static const fd_real *samples(fd_arena *a, int i, const dataset *d, const args *o)
{
    char file[64], more[80];
    sprintf(file, "%s%s.npy", rows[i].model, rows[i].file);
    const char *path = in_dir(o->outdir, file);
    /* a step of a predictor and a corrector has two evaluations */
    int steps = strstr(rows[i].sample, "--corrector") ? o->steps / 2 : o->steps - 1;
    sprintf(more, "--steps %d --seed %llu --batch 64", steps, (unsigned long long)o->seed);
    args q = flags_read(a, SAMPLE, rows[i].sample, more);
    const char *how = how_drawn(a, &q, o->train);
    const fd_real *kept = samples_kept(a, path, &d->s, o->n, how);
    if (kept) return kept;
    kit *k = network(a, i, d, o);
    if (rows[i].stretch > 1) {
        k->process.v[0] *= rows[i].stretch;            /* tmax of driftless */
        kit_close(a, k, &k->s);
        need(a->st);
    }
    return samples_made(a, path, &q, k, o->n, how);
}

/* ---- The tables ------------------------------------------------------------------------------ */

static char text[8192] = "table,row,features,components,thesis_fid\n";

/* say -- the distances of row i, -1: of real images, on a line of the table and of the file. */
static void say(int i, double far, double pcs)
{
    const char *table = i < 0 ? "" : rows[i].table;
    const char *name = i < 0 ? "other real images" : rows[i].name;
    double fid = i < 0 ? NAN : rows[i].fid;
    printf("%-5s %-30s %10.3f %12.4f ", table, name, far, pcs);
    if (fid > 0) printf("%12.2f\n", fid);
    else puts("");
    fflush(stdout);
    sprintf(text + strlen(text), "%s,\"%s\",%.6g,%.6g,%g\n", table, name, far, pcs, fid);
}

int main(int argc, char **argv)
{
    static args o;
    fd_status st;
    start("thesis", argv);
    options_read(&o, THESIS, "thesis --help", argc - 1, argv + 1);
    if (o.help) { options_help(THESIS); return finish(); }
    if (!o.data) die(2, "needs --data FILE of images");
    int of = 0;
    while (o.table && of < COUNT(rows) && strcmp(o.table, rows[of].table)) of++;
    if (of == COUNT(rows)) die(2, "--table: %s: expected 5.1, 5.2, 5.3, text or ours", o.table);
    fd_arena a = arena_make(&o, &st);
    make_dir(o.outdir);
    dataset d = data_open(&a, o.data, &o, NULL, o.grid, (shape){ 2, { 28, 28, 1 } });
    fd_array y = { 0, { 0 }, NULL };
    if (o.labels) y = fd_load(&a, o.labels);
    need(&st);
    if (o.labels && (y.nd != 1 || y.n[0] != d.m))
        die(1, "%s: not a label for each image", o.labels);
    if (d.s.nd != 2 || d.s.n[0] % 4 || d.s.n[1] % 4)
        die(1, "%s: wants images with sides of 4 k", o.data);
    int held = d.m / HELD, ref = held - o.n, right = 0, shown = 0;
    ptrdiff_t size = fd_size(&d.s);
    if (ref < 2 * PCS) die(1, "%s: too few images for -n %d", o.data, o.n);
    d.m -= held;                                       /* the last sixth is not trained on */
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    data_say(&d, "", NULL);
    const fd_real *real = data_gather(&a, &d, d.m, held);
    data_keep(&a, &d, (double)(a.end - a.beg) / 4);
    fd_net *net = y.x ? classifier(&a, in_dir(o.outdir, "classifier.safetensors"), &d, d.m, y.x,
                                   o.seed)
                      : NULL;
    fd_real *f = fd_raw(&a, fd_real, (ptrdiff_t)held * FEATURES);
    fd_real *show = fd_raw(&a, fd_real, (COUNT(rows) + 1) * SHOW * size);
    need(&st);
    if (net) {
        features_of(net, &d.s, held, real, f, y.x + d.m, &right, a);
        printf("classifier: %.1f %% of %d images that it has not seen\n", 100.0 * right / held,
               held);
    }
    printf("\n%-5s %-30s %10s %12s %12s\n", "table", "row", "features", "components",
           "thesis: FID");
    for (int i = -1; i < COUNT(rows); i++) {
        fd_arena b = a;
        if (i >= 0 && o.table && strcmp(o.table, rows[i].table)) continue;
        const fd_real *x = real + ref * size;
        if (i >= 0) x = samples(&b, i, &d, &o);
        double far = NAN, pcs = fd_frechet(&d.s, PCS, o.n, x, ref, real, b);
        if (net) far = feature_distance(net, &d.s, o.n, x, ref, f, b);
        need(&st);
        memcpy(show + shown++ * SHOW * size, x, (size_t)(SHOW * size) * sizeof *x);
        say(i, far, pcs);
    }
    fd_png_sheet(&st, in_dir(o.outdir, "thesis.png"), shown * SHOW, SHOW, d.s.n[0], d.s.n[1], show,
                 -1, 1, FD_GRAY, 1, a);
    need(&st);
    wrote(in_dir(o.outdir, "thesis.png"));
    text_save(in_dir(o.outdir, "thesis.csv"), text);
    return finish();
}
