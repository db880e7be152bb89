/* correct.c -- predictor, corrector, or both [Thesis sec. 3.4.4; SDE]? At equal cost in
 * evaluations:
 *
 *     predictor   Euler-Maruyama's step of the reverse SDE
 *     corrector   annealed Langevin dynamics alone, one step of size c v at each time
 *     both        one of each, half as many times
 *
 *     build/correct [--data IMAGES --labels LABELS --outdir out/thesis --threads 1]
 *
 * For Gaussian data the law that comes out is known (fd_exact_law); for data of two kinds, 7 to 3,
 * with the exact denoiser, 1000 samples stand beside as many exact ones. The size c is the best of
 * seven for each method and cost. With images: the U-ViT of `make thesis` (table 5.1, white noise)
 * draws by each, and is judged by Frechet distance on the features of its classifier. */
#include "classifier.h"
#include "rows.h"
#include "plot.h"

enum { N = 32, COSTS = 7, WAYS = 4, SIZES = 7, MANY = 1000 };
static const int cost[COSTS] = { 8, 16, 32, 64, 128, 256, 512 };
static const double size_of[SIZES] = { 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2 };
static const char *const way_name[WAYS] = { "predictor", "corrector", "both", "Heun's, no noise" };
typedef struct { double miss, share, c; } result;

/* the sampler of a way at a cost; t [cost + 1] */
static fd_sampler sampler_at(const fd_process *p, fd_model m, int way, int evals, double c,
                             double *t, fd_status *st)
{
    int steps = way == 1 ? evals - 1 : way ? evals / 2 : evals;
    fd_times(p, FD_UNIFORM, 0, steps, t, st);
    return (fd_sampler){ .p = p, .model = m, .t = t, .steps = steps, .cprm = c, .denoise = 1,
                         .corrector = way == 1 || way == 2 ? FD_CORRECT_SCALED : FD_CORRECT_NONE,
                         .scheme = way == 1 ? FD_ANNEALED : way == 3 ? FD_PF_HEUN
                                                                     : FD_EULER_MARUYAMA };
}

/* gauss -- W2 to the data over their size, exactly. */
static result gauss(const fd_process *p, const fd_cov *c0, int way, int evals, double c,
                    fd_arena a)
{
    double t[1025], var[N], sum = 0;
    fd_model m = fd_oracle_gauss(&a, p, NULL, c0);
    fd_sampler how = sampler_at(p, m, way, evals, c, t, a.st);
    fd_start_law(&how, NULL, var, a);
    fd_exact_law(&how, NULL, var, a);
    if (a.st->code == FD_ENAN) { a.st->code = FD_OK; return (result){ INFINITY, NAN, c }; }
    need(a.st);
    for (int k = 0; k < N; k++) sum += pow(sqrt(var[k]) - sqrt(c0->lam[k]), 2);
    return (result){ sqrt(sum / fd_cov_trace(c0)), NAN, c };
}

/* two_kinds -- n exact draws: mean with the chance .7, else -mean, plus N(0, c0). */
static void two_kinds(const fd_cov *c0, const fd_real *mean, fd_rng r, int n, fd_real *x,
                      fd_arena a)
{
    fd_real u;
    fd_cov_draw(c0, r, 0, n, x, a);
    for (int i = 0; i < n; i++) {
        fd_uniform(fd_stream(r, 'k', (uint32_t)i), 1, &u);
        for (int j = 0; j < N; j++) x[i * N + j] += (double)u < 0.7 ? mean[j] : -mean[j];
    }
}

/* mixture -- energy distance to exact draws y, and the share of the first kind. */
static result mixture(const fd_process *p, const fd_cov *c0, const fd_real *mean, const fd_real *y,
                      int way, int evals, double c, fd_arena a)
{
    double t[1025], share = 0;
    fd_real means[2 * N], *x = fd_raw(&a, fd_real, MANY * N);
    need(a.st);
    for (int i = 0; i < N; i++) means[i] = mean[i], means[N + i] = -mean[i];
    fd_model m = fd_oracle_mix(&a, p, 2, (double[]){ 0.7, 0.3 }, means,
                               (const fd_cov *[]){ c0, c0 });
    fd_sampler how = sampler_at(p, m, way, evals, c, t, a.st);
    fd_sample(&how, fd_seed(1), 0, MANY, x, a);
    if (a.st->code == FD_ENAN) { a.st->code = FD_OK; return (result){ INFINITY, NAN, c }; }
    need(a.st);
    for (int i = 0; i < MANY; i++)
        share += (fd_inner(&c0->s, x + i * N, mean) > 0) / (double)MANY;
    return (result){ fd_energy_distance(&c0->s, MANY, x, MANY, y), share, c };
}

/* images -- the network of the thesis's table, drawing by each way. */
static void images(const args *o, char *text, fd_arena a)
{
    static const char *const flags[3] = {
        "--scheme euler-maruyama", "--scheme annealed --corrector snr:c=0.16",
        "--scheme euler-maruyama --corrector snr:c=0.16,at=begin" };
    dataset d = data_open(&a, o->data, o, NULL, o->grid, (shape){ 2, { 28, 28, 1 } });
    fd_array y = fd_load(&a, o->labels);
    need(a.st);
    if (y.nd != 1 || y.n[0] != d.m) die(1, "%s: not a label for each image", o->labels);
    if (d.s.nd != 2 || d.s.n[0] % 4 || d.s.n[1] % 4)
        die(1, "%s: wants images with sides of 4 k", o->data);
    int held = d.m / 6, ref = held - o->n;
    if (ref < 2) die(1, "%s: too few images for -n %d", o->data, o->n);
    d.m -= held;
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    const fd_real *real = data_gather(&a, &d, d.m, held);
    const char *path = in_dir(o->outdir, "classifier.safetensors");
    fd_net *net = classifier(&a, path, &d, d.m, y.x, o->seed);
    const kit *k = kit_load(&a, in_dir(o->outdir, "white.safetensors"), NULL);
    fd_real *f = fd_raw(&a, fd_real, (ptrdiff_t)ref * FEATURES);
    fd_real *x = fd_raw(&a, fd_real, o->n * fd_size(&d.s));
    need(a.st);
    features_of(net, &d.s, ref, real, f, NULL, NULL, a);
    printf("\nimages, %d evaluations: Frechet distance on features, %d samples\n", o->steps, o->n);
    for (int way = -1; way < 3; way++) {
        char more[128];
        sprintf(more, "--start noise --times uniform --batch 64 --steps %d --seed %llu",
                way == 2 ? o->steps / 2 : o->steps - 1, (unsigned long long)o->seed);
        args q = flags_read(&a, SAMPLE, flags[way < 0 ? 0 : way], more);
        if (way >= 0) sample(k, &q, o->n, x, 0, 0, NULL, a);
        const fd_real *of = way < 0 ? real + ref * fd_size(&d.s) : x;
        double far = feature_distance(net, &d.s, o->n, of, ref, f, a);
        need(a.st);
        printf("%-18s %8.2f\n", way < 0 ? "other real images" : way_name[way], far);
        sprintf(text + strlen(text), "images,%s,%d,,%.5g,\n", way < 0 ? "real" : way_name[way],
                o->steps, far);
    }
}

/* What is known of the two laws: their process, covariances, means, and exact draws of the
 * second. */
typedef struct {
    fd_process p;
    fd_cov *c0, *within;
    fd_real mean[N], *y;
    double other;                                      /* other exact draws are so far from y */
} laws;

static laws laws_new(fd_arena *a)
{
    fd_space s = fd_grid(a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    laws l = { .p = fd_vp(fd_cov_matern(a, &s, 1, 0.1, 1.5), 0.1, 20) };
    l.c0 = fd_cov_matern(a, &s, 1, 0.3, 2.5), l.within = fd_cov_matern(a, &s, 0.1, 0.2, 2.5);
    fd_real *x = fd_raw(a, fd_real, 2 * MANY * N);
    l.y = x + MANY * N;
    need(a->st);
    for (int i = 0; i < N; i++) l.mean[i] = (fd_real)(1 + cos(acos(-1.0) * (i + 0.5) / N)) / 2;
    two_kinds(l.within, l.mean, fd_seed(8), MANY, l.y, *a);
    two_kinds(l.within, l.mean, fd_seed(9), MANY, x, *a);
    l.other = fabs(fd_energy_distance(&s, MANY, x, MANY, l.y));
    return l;
}

/* best_of -- the size of a step that misses least. */
static result best_of(const laws *l, int kinds, int way, int evals, fd_arena a)
{
    result best = { INFINITY, NAN, NAN };
    for (int j = 0; j < (way % 3 ? SIZES : 1); j++) {
        result r = kinds ? mixture(&l->p, l->within, l->mean, l->y, way, evals, size_of[j], a)
                         : gauss(&l->p, l->c0, way, evals, size_of[j], a);
        if (fabs(r.miss) < fabs(best.miss)) best = r;
    }
    return best;
}

/* law_shown -- the table and the plot of one law; kinds: of the second. */
static void law_shown(const laws *l, int kinds, char *text, plot *q, fd_arena a)
{
    static const char *const data_name[2] = { "Gaussian", "two kinds" };
    static double evals[COSTS], miss[2][WAYS][COSTS];
    plot_begin(q, 620, 440, kinds ? "data of two kinds, 7 to 3" : "Gaussian data, exactly",
               "evaluations", kinds ? "energy distance" : "W2 over size of data", 1, 1);
    printf("%s; %s, c, share of the first kind\n%12s", data_name[kinds],
           kinds ? "energy distance" : "W2", "evaluations");
    for (int way = 0; way < WAYS; way++) printf("%24s", way_name[way]);
    puts("");
    for (int i = 0; i < COSTS; i++) {
        printf("%12d", cost[i]);
        evals[i] = cost[i];
        for (int way = 0; way < WAYS; way++) {
            const result best = best_of(l, kinds, way, cost[i], a);
            miss[kinds][way][i] = fabs(best.miss);
            printf("%12.4g", best.miss);
            if (way % 3) printf(" %4.2g", best.c); else printf("     ");
            if (kinds) printf("  %5.3f", best.share); else printf("       ");
            sprintf(text + strlen(text), "%s,%s,%d,%g,%.5g,%.4g\n", data_name[kinds], way_name[way],
                    cost[i], way % 3 ? best.c : 0, best.miss, best.share);
        }
        puts("");
        fflush(stdout);
    }
    if (kinds) q->lo[1] = 3e-4;                        /* less is chance */
    for (int way = 0; way < WAYS; way++)
        plot_line(q, COSTS, evals, miss[kinds][way], way_name[way], PLOT_MARKED);
}

int main(int argc, char **argv)
{
    static args o;
    static char text[8192] = "data,way,evaluations,c,miss,share\n";
    static double evals[COSTS], floor[COSTS];
    fd_status st;
    start("correct", argv);
    options_read(&o, THESIS, "correct --help", argc - 1, argv + 1);
    if (o.help) { options_help(THESIS); return finish(); }
    if (!o.data != !o.labels) die(2, "--data: wants --labels, too, and that --data");
    fd_arena a = arena_make(&o, &st);
    const laws l = laws_new(&a);
    plot q[2];
    for (int kinds = 0; kinds < 2; kinds++) law_shown(&l, kinds, text, &q[kinds], a);
    for (int i = 0; i < COSTS; i++) evals[i] = cost[i], floor[i] = l.other;
    printf("%12s%12.4g\n", "exact draws", l.other);
    plot_line(&q[1], COSTS, evals, floor, "exact draws", PLOT_DASHED);
    make_dir("out");
    plot_row(&st, 2, q, "out/correct.png", a);
    need(&st);
    wrote("out/correct.png");
    if (o.data) {
        if (!is_given("n")) o.n = 256;
        if (!is_given("steps")) o.steps = 50;
        images(&o, text, a);
    }
    text_save("out/correct.csv", text);
    return finish();
}
