/* fd.c -- the command-line tool: fd train, fd sample, fd noise, fd eval, fd info, fd help. All
 * that computes is in the library; flags, specs and files are in common.h. */
#include "common.h"

static void shape_print(int nd, const int n[])
{
    putchar('(');
    for (int i = 0; i < nd; i++) printf("%s%d", i ? ", " : "", n[i]);
    putchar(')');
}

/* ---- fd train -------------------------------------------------------------------------------- */

static int do_train(args *o)
{
    static const char *const fixed[] = { "cov", "process", "net", "predict", "precond", "grid",
                                         "boundary", "channels" };
    static curve c;
    fd_status st;
    fd_arena a = arena_make(o, &st);
    kit *k = NULL;
    shape grid = o->grid;
    if (!o->data) die(2, "train: needs --data FILE, or --data fields for built-in functions");
    if (o->resume) {
        for (int i = 0; i < COUNT(fixed); i++)
            if (is_given(fixed[i]))
                die(2, "--%s: comes from the model that --resume names", fixed[i]);
        k = kit_load(&a, o->resume, o);
        if (!k->opt) die(1, "%s: has no optimiser to go on with", o->resume);
        grid.nd = k->s.nd;
        memcpy(grid.n, k->s.n, sizeof grid.n);
        memcpy(o->bc, k->s.bc, sizeof o->bc);
        o->channels = k->channels;
        if (is_given("steps")) k->opt->how.steps = o->steps;
        else o->steps = k->opt->how.steps;
        if (is_given("lr")) k->opt->how.lr = o->lr;
        if (is_given("lr-end")) k->opt->how.lr_end = o->lr_end;
        if (is_given("decay")) k->opt->how.decay = o->decay;
        if (is_given("clip")) k->opt->how.clip = o->clip;
        if (is_given("ema")) k->opt->how.ema = o->ema > 0 ? o->ema : 1e-300;
        if (is_given("warmup")) k->opt->how.warmup = o->warmup;
        if (!is_given("out")) o->out = o->resume;
        settings_check(k, o);
        if (!o->budget && k->opt->step >= o->steps)
            die(2, "--steps: %d: the model has taken %d already", o->steps, k->opt->step);
    }
    dataset d = data_load(&a, o->data, o, grid, (shape){ 2, { 32, 32, 1 } });
    need(&st);
    if (!k) k = kit_new(&a, o, &d);
    else if (d.scale != k->scale || d.shift != k->shift)
        die(1, "%s: its values are scaled otherwise than those that %s has seen", o->data, o->resume);
    printf("%d functions on ", d.m);
    shape_print(k->s.nd, k->s.n);
    printf(", %ld weights\n", (long)k->net->count);
    fflush(stdout);
    int sig = train(k, &d, o, &c, a);
    if (o->log && c.rows) {
        fd_csv_save(&st, o->log, CURVE_COLS, curve_name, c.rows, &c.x[0][0]);
        need(&st);
        wrote(o->log);
    }
    if (sig) {
        finish();
        die(128 + sig, "stopped at step %d; --resume %s goes on", k->opt->step, o->out);
    }
    printf("step %d, loss %.4g\n", k->opt->step, c.rows ? c.x[c.rows - 1][1] : 0);
    return finish();
}

/* ---- fd sample ------------------------------------------------------------------------------- */

static int do_sample(args *o)
{
    enum { SHOW = 6, FRAMES = 9 };
    fd_status st;
    fd_arena a = arena_make(o, &st);
    if (!o->model) die(2, "sample: needs --model FILE");
    const kit *k = kit_on(&a, kit_load(&a, o->model, NULL), o->grid);
    ptrdiff_t size = fd_size(&k->s);
    int show = o->n < SHOW ? o->n : SHOW, bytes = k->scale != 1 && !o->raw;
    if (show > o->batch) show = o->batch;
    fd_real *x = fd_raw(&a, fd_real, o->n * size);
    fd_real *states = o->path ? fd_raw(&a, fd_real, show * (FRAMES + 1) * size) : NULL;
    need(&st);
    sample(k, o, o->n, x, show, FRAMES, states, a);
    if (!o->raw) to_file(k->scale, k->shift, o->n * size, x);
    functions_save(&st, o->out, &k->s, k->channels, o->n, x);
    int map = is_given("map") || !bytes ? o->map.row : FD_GRAY;
    if (o->png) {
        double lo = 0, hi = 255;
        int b = o->n < 64 ? o->n : 64;
        if (!bytes) range(b * size, x, &lo, &hi);
        sheet(&st, o->png, &k->s, b, 0, x, lo, hi, map, a);
    }
    if (o->path) {
        unit(show, FRAMES + 1, size, states);
        sheet(&st, o->path, &k->s, show * (FRAMES + 1), FRAMES + 1, states, 0, 1, map, a);
    }
    return finish();
}

/* ---- fd noise -------------------------------------------------------------------------------- */

static int do_noise(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    dataset d;
    fd_space s;
    if (o->data) {
        d = data_load(&a, o->data, o, o->grid, (shape){ 2, { 32, 32, 1 } });
        need(&st);
        s = d.s;
    } else {
        if (!o->grid.nd) die(2, "noise: needs --grid N, NxM or NxMxK");
        s = fd_grid(&a, o->grid.nd, o->grid.n, NULL, o->bc, o->channels ? o->channels : 1);
    }
    fd_cov *c = cov_build(&a, &s, &o->cov, o->data ? &d : NULL);
    fd_real *x = fd_raw(&a, fd_real, o->n * fd_size(&s));
    need(&st);
    fd_cov_draw(c, fd_seed((uint64_t)o->seed), o->first, o->n, x, a);
    need(&st);
    double sum = 0;
    for (ptrdiff_t i = 0; i < o->n * fd_size(&s); i++) sum += (double)x[i] * (double)x[i];
    printf("pixel variance %.4g, of the covariance %.4g\n", sum / (double)(o->n * fd_size(&s)),
           fd_cov_trace(c));
    functions_save(&st, o->out, &s, o->channels, o->n, x);
    if (o->png) {
        double lo, hi;
        int b = o->n < 64 ? o->n : 64;
        range(b * fd_size(&s), x, &lo, &hi);
        sheet(&st, o->png, &s, b, 0, x, lo, hi, o->map.row, a);
    }
    return finish();
}

/* ---- fd eval --------------------------------------------------------------------------------- */

static int do_eval(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    char text[2048] = "metric,samples,samples_sd,real,real_sd,n,splits\n";
    if (!o->samples || !o->data) die(2, "eval: needs --samples FILE and --data FILE");
    dataset d = data_load(&a, o->data, o, o->grid, (shape){ 2, { 32, 32, 1 } });
    need(&st);
    args p = *o;                                       /* samples: all, on the grid of the data */
    shape g = { d.s.nd, { d.s.n[0], d.s.n[1], d.s.n[2] } };
    p.limit = 0;
    dataset x = data_load(&a, o->samples, &p, g, g);
    need(&st);
    /* the scale of the data holds for both; data_load may have taken samples for bytes, or not */
    for (ptrdiff_t i = 0; i < x.m * fd_size(&d.s); i++) {
        double v = ((double)x.x[i] - x.shift) / x.scale;
        x.x[i] = (fd_real)(o->raw ? v : d.scale * v + d.shift);
    }
    int n = o->n;
    if (n > x.m) n = x.m;
    if (n > d.m / 2) n = d.m / 2;
    if (n < 2) die(1, "eval: needs 2 samples and 4 real functions at least");
    scores v = score(&d.s, n, x.x, d.m, d.x, o->pcs, fd_sub(fd_seed((uint64_t)o->seed), 's', 0), a);
    printf("%d samples against %d real functions, %d times; 'real': two disjoint real sets\n", n, n,
           v.splits);
    printf("%-16s %12s %10s %12s %10s\n", "metric", "samples", "+-", "real", "+-");
    for (int j = 0; j < METRICS; j++) {
        printf("%-16s %12.5g %10.2g %12.5g %10.2g  %s\n", metric_name[j], v.x[j], v.x_sd[j],
               v.real[j], v.real_sd[j], metric_help[j]);
        sprintf(text + strlen(text), "%s,%.9g,%.9g,%.9g,%.9g,%d,%d\n", metric_name[j], v.x[j],
                v.x_sd[j], v.real[j], v.real_sd[j], n, v.splits);
    }
    if (o->out) text_save(o->out, text);
    return finish();
}

/* ---- fd info --------------------------------------------------------------------------------- */

static void numbers_print(ptrdiff_t n, const fd_real *x)
{
    double lo = INFINITY, hi = -INFINITY, sum = 0, sq = 0;
    ptrdiff_t odd = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double v = (double)x[i];
        if (!(fabs(v) <= 1e300)) { odd++; continue; }
        lo = fmin(lo, v);
        hi = fmax(hi, v);
        sum += v;
        sq += v * v;
    }
    double c = (double)(n - odd), mean = c > 0 ? sum / c : 0;
    if (c > 0)
        printf("  min %.6g  max %.6g  mean %.6g  sd %.6g", lo, hi, mean,
               sqrt(fmax(0, sq / c - mean * mean)));
    if (odd) printf("  %ld NaN or infinite", (long)odd);
}

static int do_info(args *o, const char *path)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    size_t n = strlen(path);
    if (n > 12 && !strcmp(path + n - 12, ".safetensors")) {
        fd_tensors f = fd_tensors_load(&a, path);
        need(&st);
        for (int i = 0; i < f.metas; i++) printf("%-20s %s\n", f.meta[i].key, f.meta[i].value);
        for (int i = 0; i < f.count; i++) {
            ptrdiff_t c = 1;
            for (int j = 0; j < f.tensor[i].nd; j++) c *= f.tensor[i].n[j];
            printf("%-28s ", f.tensor[i].name);
            shape_print(f.tensor[i].nd, f.tensor[i].n);
            numbers_print(c, f.tensor[i].x);
            putchar('\n');
        }
    } else {
        fd_array f = fd_load(&a, path);
        need(&st);
        shape_print(f.nd, f.n);
        numbers_print(points_of(&f, 0), f.x);
        putchar('\n');
    }
    return finish();
}

/* ---- Commands -------------------------------------------------------------------------------- */

static const struct { const char *name, *what; int of; int (*run)(args *); } commands[] = {
    { "train", "train a network on functions", TRAIN, do_train },
    { "sample", "draw functions from a trained network, on any grid", SAMPLE, do_sample },
    { "noise", "draw Gaussian random functions", NOISE, do_noise },
    { "eval", "compare samples with real functions", EVAL, do_eval },
    { "info", "say what a .npy, IDX or .safetensors file holds", INFO, NULL },
};

static int help(const char *word)
{
    for (int i = 0; word && i < COUNT(commands); i++) {
        if (strcmp(word, commands[i].name)) continue;
        printf("fd %s: %s\n", word, commands[i].what);
        if (commands[i].of == INFO) puts("  fd info FILE");
        options_help(commands[i].of);
        return finish();
    }
    for (int i = 0; word && i < COUNT(topics); i++) {
        if (strcmp(word, topics[i]->name)) continue;
        topic_help(topics[i]);
        return finish();
    }
    if (word) die(2, "help: '%s': no command and no topic; fd help lists them", word);
    printf("fd: function-space diffusion models (%s)\n\n", fd_build());
    for (int i = 0; i < COUNT(commands); i++)
        printf("  fd %-8s %s\n", commands[i].name, commands[i].what);
    puts("\n  fd help COMMAND    its flags\n  fd help TOPIC      what a flag may say:");
    printf("     ");
    for (int i = 0; i < COUNT(topics); i++) printf(" %s", topics[i]->name);
    puts("\n\nspecs are name:key=value,key=value, as in --cov matern:nu=1.5,l=0.1");
    return finish();
}

int main(int argc, char **argv)
{
    static args o;
    char where[32];
    signal(SIGXFSZ, SIG_IGN);                          /* a file too large is an error, no death */
    threads_sleep(argv);
    if (argc < 2 || choice("help|--help|-h", argv[1]) >= 0) {
        options_read(&o, INFO, "fd help", 0, argv);    /* names of the schemes */
        return help(argc > 2 ? argv[2] : NULL);
    }
    for (int i = 0; i < COUNT(commands); i++) {
        const char *file = NULL;
        int skip = 2;
        if (strcmp(argv[1], commands[i].name)) continue;
        sprintf(where, "fd help %s", argv[1]);
        if (commands[i].of == INFO && argc > 2 && argv[2][0] != '-') file = argv[skip++];
        options_read(&o, commands[i].of, where, argc - skip, argv + skip);
        if (o.help) return help(argv[1]);
        if (commands[i].of != INFO) return commands[i].run(&o);
        if (!file) die(2, "info: needs a file");
        return do_info(&o, file);
    }
    die(2, "'%s': no such command; expected train, sample, noise, eval, info or help", argv[1]);
}
