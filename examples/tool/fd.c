/* fd.c -- the command-line tool (fd help lists its commands). All that computes is in the library;
 * what it shares with other programs is in the headers of common.h. */
#include "common.h"
#include "plot.h"
#include "bridge.h"
#include "data.h"
#include "tune.h"
#include "conform.h"
#include <float.h>

static void shape_print(int nd, const int n[])
{
    putchar('(');
    for (int i = 0; i < nd; i++) printf("%s%d", i ? ", " : "", n[i]);
    putchar(')');
}

/* gap_print -- what the start leaves out, were the data Gaussian with their spectrum. */
static void gap_print(const kit *k, fd_arena a)
{
    fd_gap g = fd_terminal(&k->p, k->mean, k->c0, a);
    need(a.st);
    printf("N(0, v C) at the last time: m there is %.3g at most, W2 to the law of X there %.3g;\n"
           "    of that are left at the end %.3g by the exact flow, %.3g by the exact SDE\n",
           g.m, g.w2, g.ode, g.sde);
}

/* wave_of -- the wavenumber of mode k, as fd_spectrum has it. */
static double wave_of(const fd_space *s, ptrdiff_t k)
{
    int j[3];
    double sum = 0;
    fd_mode(s, k, j);
    for (int i = 0; i < s->nd; i++) {
        double w = s->bc[i] == FD_PERIODIC ? (j[i] + 1) / 2 : s->bc[i] == FD_NEUMANN ? j[i]
                 : s->bc[i] == FD_DIRICHLET ? j[i] + 1 : j[i] + 0.5;
        sum += w * w;
    }
    return sqrt(sum);
}

/* by_wave -- e[j] += var of the modes of shell j. */
static void by_wave(const fd_space *s, int bins, const double *var, double *e)
{
    for (ptrdiff_t i = 0; i < s->modes; i++) {
        int j = (int)floor(wave_of(s, i) + 0.5);
        if (j < bins) e[j] += var[i];
    }
}

/* law_at -- variances of X_t for Gaussian data of the kit's spectrum, [ch][modes], in the modes
 * that carry noise. */
static void law_at(const kit *k, double t, double *var, fd_arena a)
{
    fd_sampler how = { .p = &k->p, .model = k->model, .t = &t, .start = FD_START_MATCHED,
                       .cov = k->c0 };
    fd_start_law(&how, NULL, var, a);
    for (ptrdiff_t j = 0; j < k->s.ch * k->s.modes && !a.st->code; j++)
        if (!(k->noise->lam[j % k->s.modes] > 0)) var[j] = 0;
}

/* model_decides -- dies where a flag was given that the model of --model answers. */
static void model_decides(void)
{
    static const char *const fixed[] = { "cov", "target", "process", "boundary" };
    for (int i = 0; i < COUNT(fixed); i++)
        if (is_given(fixed[i])) die(2, "--%s: comes from the model that --model names", fixed[i]);
}

/* ---- fd train -------------------------------------------------------------------------------- */

enum { TIMES = 5, PAIRS = 256 };

/* mode_errors -- the squared error of x0 of the averaged network at time `at`, of m functions of
 * the data, `most` at a time: in all, of normalised data; added to err[] by wavenumber, in the
 * units of the data. */
static double mode_errors(const kit *k, const dataset *d, fd_rng r, double at, int m, int most,
                          int bins, double *err, fd_arena a)
{
    const fd_space *s = &k->s;
    const ptrdiff_t size = fd_size(s);
    fd_real *x0 = fd_raw(&a, fd_real, most * size), *xt = fd_raw(&a, fd_real, most * size);
    fd_real *y = fd_raw(&a, fd_real, most * size);
    double *t = fd_raw(&a, double, most), *part = fd_raw(&a, double, bins), sum = 0;
    need(a.st);
    for (int i = 0; i < m; i += most) {
        int b = m - i < most ? m - i : most;
        for (int l = 0; l < b; l++) {
            t[l] = at;
            data_take(d, i + l, x0 + l * size, a);
        }
        fd_cov_pow(k->noise, 0, b, x0, x0, a);
        fd_perturb(&k->p, r, i, b, x0, t, xt, NULL, a);
        fd_predict(&k->model, FD_X0, &k->p, b, xt, t, y, a);
        need(a.st);
        for (ptrdiff_t l = 0; l < b * size; l++) y[l] -= x0[l];
        fd_spectrum(s, b, y, bins, part, a);
        for (int l = 0; l < bins; l++) sum += part[l] * b / m;
        for (ptrdiff_t l = 0; l < b * size; l++)
            y[l] /= (fd_real)k->norm.scale[l % size / s->points];
        fd_spectrum(s, b, y, bins, part, a);
        for (int l = 0; l < bins; l++) err[l] += part[l] * b / m;
    }
    return sum;
}

/* mode_floor -- the same of the best linear denoiser, in closed form. */
static double mode_floor(const kit *k, double at, int bins, double *floor, fd_arena a)
{
    const fd_space *s = &k->s;
    double *var = fd_raw(&a, double, s->modes), units = 0, sum = 0;
    need(a.st);
    for (int c = 0; c < s->ch; c++) units += 1 / (k->norm.scale[c] * k->norm.scale[c]);
    for (ptrdiff_t i = 0; i < s->modes; i++) {
        fd_coef f = fd_law(&k->p, at, i);
        double c = k->c0->lam[i], v = f.v * k->noise->lam[i];
        var[i] = c > 0 ? c * v / (f.m * f.m * c + v) : 0;
        sum += s->ch * var[i];
        var[i] *= units;
    }
    by_wave(s, bins, var, floor);
    return sum;
}

/* by_mode -- the squared error of x0 of the averaged network by wavenumber, beside sum c v/P, P =
 * m^2 c + v, that of the best denoiser of Gaussian data of the same spectrum c: the floor of all
 * that are linear. Other data allow less. At five times, for functions of the data, a batch at a
 * time. The ratio is of normalised data, where no channel outweighs another; the file and the
 * picture are in the units of the data. */
static void by_mode(const kit *k, const dataset *d, const args *o, fd_arena a)
{
    static const char *const cols[] = { "t", "wave", "error", "floor" };
    static char name[TIMES][32];
    int m = d->m < PAIRS ? d->m : PAIRS, most = o->batch / o->accumulate, bins = 0;
    for (ptrdiff_t i = 0; i < k->s.modes; i++)
        if (k->noise->lam[i] > 0) bins = (int)fmax(bins, wave_of(&k->s, i) + 1.5);
    if (most > m) most = m;
    double *wave = fd_raw(&a, double, bins), *e = fd_new(&a, double, 2 * TIMES * bins),
        *out = fd_raw(&a, double, TIMES * bins * COUNT(cols));
    plot p;
    need(a.st);
    plot_begin(&p, 900, 600, "error of x0, and of the best linear denoiser (dashed)", "wavenumber",
               "variance", 0, 1);
    printf("error of x0 over that of the best linear denoiser:");
    for (int j = 0, rows = 0; j < TIMES; j++) {
        double *err = e + 2 * j * bins, *floor = err + bins;
        double at = k->p.tmin + (k->p.tmax - k->p.tmin) * (j + 0.5) / TIMES;
        if (k->process.row == PROCESS_DDPM) at = ceil(at);
        double sum = mode_errors(k, d, fd_stream(fd_seed(o->seed), 'h', (uint32_t)j), at, m, most,
                                 bins, err, a);
        double least = mode_floor(k, at, bins, floor, a);
        for (int i = 0; i < bins; i++) {
            wave[i] = i;
            memcpy(out + rows++ * COUNT(cols), (double[]){ at, i, err[i], floor[i] },
                   COUNT(cols) * sizeof *out);
        }
        sprintf(name[j], "t = %.3g", at);
        plot_line(&p, bins, wave, err, name[j], PLOT_SOLID);
        plot_line(&p, bins, wave, floor, NULL, PLOT_DASHED);
        printf("  %s: %.3g", name[j], sum / least);
    }
    puts("");
    if (o->modes) {
        fd_csv_save(a.st, o->modes, COUNT(cols), cols, TIMES * bins, out);
        need(a.st);
        wrote(o->modes);
    }
    if (o->png) {
        plot_save(a.st, &p, o->png, a);
        need(a.st);
        wrote(o->png);
    }
}

/* condition_say -- what observations do to the score as t -> 0, were the data Gaussian with their
 * spectrum. */
enum { SEEN_MOST = 512 };                  /* observations: more are too dear for a figure, m^3 */
static void condition_say(const kit *k, fd_arena a)
{
    fd_obs o = k->told ? k->o : condition_obs(&a, k, 0);
    double t = k->p.tmin;
    if (!(fd_law(&k->p, t, 0).v > 0)) t = 1e-3 * k->p.tmax;
    if (o.m > SEEN_MOST && !o.mul) return;
    double with = fd_score_power(&k->p, k->c0, &o, t, a);
    double bare = fd_score_power(&k->p, k->c0, NULL, t, a);
    need(a.st);
    printf("told of %d observation%s; mean square of the score at t = %.3g: %.4g given them, %.4g "
           "without\n", o.m, o.m > 1 ? "s" : "", t, with, bare);
    fflush(stdout);
}

/* condition_judge -- the loss of the averaged network beside the least one for Gaussian data of the
 * same spectrum; on the same pairs, so that chance does not hide how far apart they are. */
static void condition_judge(const kit *k, const dataset *d, const args *o, fd_arena a)
{
    enum { BATCHES = 64, FROM = 1 << 24 };
    fd_obs first = k->told ? k->o : condition_obs(&a, k, 0);
    fd_space wide = k->s;
    int *perm = fd_raw(&a, int, d->m), n = 0;
    fd_real *says = fd_raw(&a, fd_real, o->batch * fd_size(&k->s));
    double *floor = fd_raw(&a, double, 2 * o->batch), loss = 0, least = 0, sum = 0, sq = 0;
    const int kinds = k->how.base != FD_BASE_NONE || (!k->p.modal && k->predict.row <= FD_VELOCITY);
    if (o->norm.row || !kinds) return;
    if (first.m > SEEN_MOST / 4 && !first.mul) return;
    wide.ch = k->net->arch.in;
    args whole = *o;
    whole.accumulate = 1;
    batch q = batch_new(&a, k, &whole, perm);
    need(a.st);
    for (int j = 0; j < BATCHES && !a.st->code; j++) {
        batch_draw(&q, k, d, &whole, FROM + j, 0, a);
        condition_pairs(&q, k, &whole, FROM + j, 0, floor, a);
        k->raw.eval(k->raw.self, &wide, o->batch, q.in, q.t, says, a);
        need(a.st);
        for (int i = 0; i < o->batch; i++, n++) {
            const ptrdiff_t size = fd_size(&k->s);
            fd_real *x = says + i * size, *y = q.y + i * size;
            for (ptrdiff_t l = 0; l < size; l++) x[l] -= y[l];
            double is = q.w[i] * fd_inner(&k->s, x, x), off = is - q.w[i] * floor[2 * i + 1];
            loss += is, least += q.w[i] * floor[2 * i], sum += off, sq += off * off;
        }
    }
    printf("averaged network: loss %.4g, floor for Gaussian data of this spectrum %.4g; above the "
           "best denoiser of such data, on the same pairs: %+.2f %% (+- %.2f)\n", loss / n,
           least / n, 100 * sum / least, 100 * sqrt(fmax(0, sq - sum * sum / n)) / least);
}

/* grid_take -- the grid and the boundaries of a model. */
static void grid_take(args *o, shape *grid, const kit *k)
{
    *grid = shape_of(&k->s);
    memcpy(o->bc, k->s.bc, sizeof o->bc);
}

/* train_resume -- the model of --resume, with the settings that were given anew. */
static kit *train_resume(fd_arena *a, args *o, shape *grid)
{
    static const char *const fixed[] = { "cov", "process", "net", "predict", "precond", "grid",
                                         "boundary", "normalize", "optimizer", "condition",
                                         "base", "between", "couple" };
    for (int i = 0; i < COUNT(fixed); i++)
        if (is_given(fixed[i]))
            die(2, "--%s: comes from the model that --resume names", fixed[i]);
    kit *k = kit_load(a, o->resume, o);
    if (!k->opt) die(1, "%s: has no optimiser to go on with", o->resume);
    if (k->from) die(2, "--resume: %s comes from fd tune: fd tune goes on with it", o->resume);
    if (o->labels && !k->net->arch.labels) die(2, "--labels: %s was trained without", o->resume);
    grid_take(o, grid, k);
    if (is_given("steps")) k->opt->how.steps = o->steps;
    else o->steps = k->opt->how.steps;
    if (is_given("lr")) k->opt->how.lr = o->lr;
    if (is_given("lr-end")) k->opt->how.lr_end = o->lr_end;
    if (is_given("decay")) k->opt->how.decay = o->decay;
    if (is_given("clip")) k->opt->how.clip = o->clip;
    if (is_given("clip-each")) k->opt->how.clip_each = o->clip_each;
    if (is_given("ema")) k->opt->how.ema = o->ema > 0 ? o->ema : 1e-300;
    if (is_given("warmup")) k->opt->how.warmup = o->warmup;
    if (!is_given("out")) o->out = o->resume;
    settings_check(k, o);
    if (!o->budget && k->opt->step >= o->steps)
        die(2, "--steps: %d: the model has taken %d already", o->steps, k->opt->step);
    return k;
}

/* train_base -- what --base says: NULL, or the trained model that --condition starts from. */
static const kit *train_base(fd_arena *a, args *o, shape *grid)
{
    static const char *const based[] = { "cov", "process", "predict", "precond", "grid", "boundary",
                                         "normalize" };
    const kit *frozen = NULL;
    if (is_given("base") && !o->condition.t) die(2, "--base: has no meaning without --condition");
    if (o->condition.t && !strcmp(o->base, "auto")) {
        int none = o->condition.row == CONDITION_MASK || is_given("predict") || o->precond.row;
        o->base = none ? "none" : "gauss";
    }
    if (o->condition.t && strcmp(o->base, "none") && strcmp(o->base, "gauss")) {
        for (int i = 0; i < COUNT(based); i++)
            if (is_given(based[i]))
                die(2, "--%s: comes from the model that --base names", based[i]);
        frozen = base_load(a, o->base, NULL, "--base");
        grid_take(o, grid, frozen);
        o->precond = spec_read(&t_precond, "", "gauss");
    }
    if (o->condition.t && (o->precond.row || is_given("predict")) && strcmp(o->base, "none"))
        die(2, "--base: %s: with --precond none and --predict there is none", o->base);
    return frozen;
}

/* train_pairs -- the functions that pairs start from, from `start`; without pairs, the gap. */
static void train_pairs(fd_arena *a, const args *o, kit *k, const dataset *d, const char *start,
                        dataset *from)
{
    if (!k->between.t) {
        if (start) die(2, "--pairs: %s is no model of pairs", o->resume);
        gap_warn(k, *a);
        return;
    }
    *from = pairs_open(a, k, o, start);
    k->starts = from;
    if (k->couple.row == 1 && from->total != d->total)
        die(1, "--couple: paired wants as many functions in %s as in %s: %d, %d", start, o->data,
            from->total, d->total);
}

static int do_train(args *o)
{
    static curve c;
    fd_status st;
    fd_arena a = arena_make(o, &st);
    dataset from;
    shape grid = o->grid;
    char *start = pairs_split(&a, o);
    if (!o->data) die(2, "train: needs --data FILE, or --data fields for built-in functions");
    kit *k = o->resume ? train_resume(&a, o, &grid) : NULL;
    if (o->labels && !is_given("labels") && o->pairs)
        die(2, "--pairs: %s was trained with --labels", o->resume);
    if (o->labels && (o->condition.t || o->pairs))
        die(2, "--labels: not with --%s", o->pairs ? "pairs" : "condition");
    if (is_given("drop") && !o->labels) die(2, "--drop: has no meaning without --labels");
    const kit *frozen = train_base(&a, o, &grid);
    if ((o->condition.t || (k && k->condition.t)) && (o->modes || o->png))
        die(2, "--%s: not with --condition", o->modes ? "by-mode" : "png");
    dataset d = data_open(&a, o->data, o, k ? k : frozen, grid, (shape){ 2, { 32, 32, 1 } });
    data_measure(&a, &d, o->normalize.row, k ? &k->norm : frozen ? &frozen->norm : NULL);
    data_say(&d, "", k ? o->resume : frozen ? o->base : NULL);
    if (o->labels) data_label(&a, &d, o->labels);
    if (k && d.labels > k->net->arch.labels)
        die(1, "%s: the label %d, but %s has %d labels", o->labels, d.labels - 1, o->resume,
            k->net->arch.labels);
    if (k) data_like(&d, o->resume);
    else k = kit_new(&a, o, &d, frozen);
    train_pairs(&a, o, k, &d, start, &from);
    if (k->condition.t) condition_say(k, a);
    int sig = train(k, &d, o, &c, a);
    ranks_leave();
    if (o->log && c.rows) {
        fd_csv_save(&st, o->log, CURVE_COLS, curve_name, c.rows, &c.x[0][0]);
        need(&st);
        wrote(o->log);
    }
    if (sig) {
        finish();
        die(128 + sig, "stopped at step %d; --resume %s goes on", k->opt->step, o->out);
    }
    if (o->modes || o->png) by_mode(k, &d, o, a);
    if (k->condition.t) condition_judge(k, &d, o, a);
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
    kit own = *kit_on(&a, kit_load(&a, o->model, NULL), o->grid);
    const kit *k = &own;
    condition_none(k, o->model);
    if (o->label >= 0 && !k->net->arch.labels)
        die(2, "--label: %s was trained without --labels", o->model);
    if (o->label >= k->net->arch.labels)
        die(2, "--label: %d: %s has %d labels, from 0", o->label, o->model, k->net->arch.labels);
    if (is_given("guidance") && o->label < 0) die(2, "--guidance: has no meaning without --label");
    if (o->label >= 0) own.model = kit_guided(&a, k, o->label, o->guidance);
    args is = settle(o, k);
    ptrdiff_t size = fd_size(&k->s);
    int show = o->n < SHOW ? o->n : SHOW, bytes = k->norm.bytes && !o->raw;
    if (show > o->batch) show = o->batch;
    fd_real *x = fd_raw(&a, fd_real, o->n * size);
    fd_real *states = o->path ? fd_raw(&a, fd_real, show * (FRAMES + 1) * size) : NULL;
    need(&st);
    settled_print(&is);
    puts("");
    if (is.start.row != FD_START_MATCHED) gap_print(k, a);
    fflush(stdout);
    sample(k, o, o->n, x, show, FRAMES, states, a);
    ranks_leave();
    if (!o->raw) to_file(&k->norm, &k->s, o->n, x);
    functions_save(a, o->out, &k->s, k->axes, o->n, x);
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
    int axes = o->channels ? AXES_FIRST : AXES_NONE;
    if (o->data) {
        if (o->channels) die(2, "--channels: with --data first, last or none");
        d = data_open(&a, o->data, o, NULL, o->grid, (shape){ 2, { 32, 32, 1 } });
        d.norm = normal_plain(0);                      /* noise like the data as they are */
        data_measure(&a, &d, NORMALIZE_NONE, NULL);
        data_say(&d, "", NULL);
        s = d.s;
        axes = d.axes;
    } else {
        if (!o->grid.nd) die(2, "noise: needs --grid N, NxM or NxMxK");
        if (o->cov.row == COV_EMPIRICAL) die(2, "--cov: empirical needs --data");
        if (o->axes)
            die(2, "--channels: %s is for --data; here how many", t_axes.rows[o->axes].name);
        s = fd_grid(&a, o->grid.nd, o->grid.n, NULL, o->bc, o->channels ? o->channels : 1);
    }
    need(&st);
    fd_cov *c = cov_build(&a, &s, &o->cov, o->data ? &d : NULL, 0);
    spec_need(&st, "cov");
    fd_real *x = fd_raw(&a, fd_real, o->n * fd_size(&s));
    need(&st);
    fd_cov_draw(c, fd_seed(o->seed), o->first, o->n, x, a);
    need(&st);
    double sum = 0;
    for (ptrdiff_t i = 0; i < o->n * fd_size(&s); i++) sum += (double)x[i] * (double)x[i];
    printf("pixel variance %.4g, of the covariance %.4g\n", sum / (double)(o->n * fd_size(&s)),
           fd_cov_trace(c));
    functions_save(a, o->out, &s, axes, o->n, x);
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
    dataset d = data_open(&a, o->data, o, NULL, o->grid, (shape){ 2, { 32, 32, 1 } });
    if (is_given("normalize") && !o->raw) die(2, "--normalize: has no meaning without --raw");
    data_measure(&a, &d, o->raw ? o->normalize.row : NORMALIZE_NONE, NULL);
    data_say(&d, "real", NULL);
    args p = *o;                                       /* samples: on the grid of the data */
    shape g = { d.s.nd, { d.s.n[0], d.s.n[1], d.s.n[2] } };
    p.limit = 0;
    dataset x = data_open(&a, o->samples, &p, NULL, g, g);
    if (x.s.ch != d.s.ch)
        die(1, "%s: %d channels where the data have %d", o->samples, x.s.ch, d.s.ch);
    normal plain = normal_plain(0);                    /* what is normalised already stays so */
    if (o->n < x.m) x.m = o->n;
    data_measure(&a, &x, 0, o->raw ? &plain : &d.norm);
    data_say(&x, "samples", o->raw ? "the model" : o->data);
    int n = x.m;
    if (n > d.m / 2) n = d.m / 2;
    if (n < 2) die(1, "eval: needs 2 samples and 4 real functions at least");
    const fd_real *drawn = data_gather(&a, &x, 0, n);
    scores v = score(&d.s, n, drawn, &d, o->pcs, fd_stream(fd_seed(o->seed), 's', 0), a);
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

/* ---- fd certify ------------------------------------------------------------------------------
 *
 * One model, one noise, one sampler on grids of n, 2n, 4n and odd sizes: is it the same law? The
 * model is that of n points, an operator on functions: exact for Gaussian data of a fixed physical
 * spectrum, or trained. Noise and process are built anew on each grid from what the flags say,
 * which is what a program does that is run at another resolution. The law is exact; a network, and
 * a sampler that is not affine, are judged by samples of the same seed, the same functions on each
 * grid.
 *
 * And is it the law of the data? The exit status is about grids alone, but for --law. */

enum { GRIDS = 5, LOW = 4, FEW = 8 };      /* waves that a trained model answers for; exact draws */
/* of the data's variance; with less a wave lost energy */
static const double LOSS = 0.8;
typedef struct {
    const kit *k;
    char name[48];
    int bins;
    fd_real *var[2], *u;                   /* noise, samples: variance of the shared modes; draws */
    /* spectra; of the exact law at the end; pixel variance */
    double *e[2], *data, *best, pixel[2];
} place;

/* is_sampled -- may the law be known by samples only? */
static int is_sampled(const kit *k, const args *o)
{
    return k->net || o->corrector.row >= FD_CORRECT_SNR;
}

/* exact_on -- the exact model of Gaussian data, learned on `first` (NULL: here). */
static const kit *exact_on(fd_arena *a, const args *o, const kit *first, shape g)
{
    kit *k = fd_new(a, kit, 1);
    need(a->st);
    k->cov = o->cov;
    k->process = o->process;
    k->axes = AXES_NONE;
    k->norm = normal_plain(0);
    k->s = fd_grid(a, g.nd, g.n, NULL, o->bc, 1);
    const fd_space *s = first ? &first->s : &k->s;
    fd_cov *was = NULL;
    if (first) {
        k->noise = cov_again(a, &k->s, &o->cov, first->noise, 0);
        was = cov_again(a, &k->s, &o->cov, first->noise, s->points);
        k->c0 = cov_again(a, &k->s, &o->target, first->c0, s->points);
    } else {
        need(a->st);
        k->noise = was = cov_build(a, &k->s, &o->cov, NULL, 0);
        spec_need(a->st, "cov");
        if (!(fd_cov_trace(k->noise) > 0)) die(2, "--cov: this noise has no variance on this grid");
        k->c0 = cov_build(a, &k->s, &o->target, NULL, 0);
        spec_need(a->st, "target");
    }
    need(a->st);
    k->p = process_build(a, k->noise, &o->process, 0);
    k->learned = process_build(a, was, &o->process, s->n[0]);
    k->model = fd_oracle_gauss(a, &k->learned, NULL, k->c0);
    need(a->st);
    return k;
}

/* measure -- fills q; base: the first grid, whose modes are compared. */
static void measure(place *q, const args *o, const kit *base, fd_arena *a)
{
    const kit *k = q->k;
    const fd_space *s = &k->s;
    fd_space one = *s, few = base->s;
    one.ch = few.ch = 1;
    int sampled = is_sampled(k, o), b = sampled ? o->n : FEW;
    ptrdiff_t size = fd_size(s), modes = s->modes;
    q->bins = shells(s);
    q->data = fd_new(a, double, q->bins);
    q->best = fd_new(a, double, q->bins);
    q->u = fd_raw(a, fd_real, b * fd_size(&base->s));
    for (int i = 0; i < 2; i++) {
        q->e[i] = fd_new(a, double, q->bins);
        q->var[i] = fd_raw(a, fd_real, few.modes);
    }
    fd_arena m = *a;
    double *var = fd_new(&m, double, s->ch * modes), *t = fd_raw(&m, double, o->steps + 1);
    fd_real *x = fd_raw(&m, fd_real, b * size), *r = fd_raw(&m, fd_real, modes);
    fd_real *mean = fd_new(&m, fd_real, size);
    need(a->st);
    times_set(k, o, t, a->st);
    if (k->mean) fd_to_modes(s, 1, k->mean, mean, m);
    for (ptrdiff_t j = 0; j < modes; j++) {            /* second moments, a mean over channels */
        fd_coef f = fd_law(&k->p, t[o->steps], j);
        double c = k->c0->lam[j], v = f.v * k->noise->lam[j], P = f.m * f.m * c + v;
        for (ptrdiff_t i = 0; i < s->ch; i++)
            c += (double)mean[i * modes + j] * (double)mean[i * modes + j] / s->ch;
        double lost = P > 0 ? v / P * k->c0->lam[j] : 0;               /* Var(x0|x), not in D */
        var[j] = c;
        r[j] = (fd_real)(o->denoise ? c - lost : f.m * f.m * c + v);
        if (!(k->noise->lam[j] > 0)) r[j] = 0;
    }
    by_wave(s, q->bins, var, q->data);
    for (ptrdiff_t j = 0; j < modes; j++) var[j] = (double)r[j];
    by_wave(s, q->bins, var, q->best);
    fd_sampler how = sampler_of(o, &k->p, k->model, t);
    how.cov = k->c0;
    fd_start_law(&how, NULL, var, m);
    sample(k, o, b, x, 0, 0, NULL, m);
    fd_to_modes(s, b, x, x, m);
    fd_modes_between(s, &base->s, b, x, q->u);
    need(a->st);
    for (int i = 0; i < 2; i++) {
        if (i && !sampled) fd_exact_law(&how, NULL, var, m);
        else if (i) {
            memset(var, 0, (size_t)modes * sizeof *var);
            for (ptrdiff_t j = 0; j < b * size; j++)
                var[j % modes] += (double)x[j] * (double)x[j] / (b * s->ch);
        }
        need(a->st);
        for (ptrdiff_t j = 0; j < modes; j++) {
            r[j] = (fd_real)var[j];
            q->pixel[i] += var[j];
        }
        by_wave(s, q->bins, var, q->e[i]);
        fd_modes_between(&one, &few, 1, r, q->var[i]);
    }
}

/* energy -- prints the waves in which the samples have less (or more) energy than is allowed. */
static void energy(const place *q, const double *least, const double *most, int low)
{
    const char *verb = low ? "loses" : "adds";
    int from = -1, to = -1, worst = -1;
    double got = 0;
    for (int j = 0; j < q->bins; j++) {
        double r = q->e[1][j] / q->data[j];
        if (!(least[j] > 0) || (low ? r >= least[j] : r <= most[j])) continue;
        if (from < 0) from = j;
        to = j;
        if (worst < 0 || (low ? r < got : r > got)) worst = j, got = r;
    }
    if (from < 0) return;
    double best = q->best[worst] / q->data[worst];
    printf("the sampler %s energy in wave", verb);
    if (to > from) printf("s %d to %d: %.3g of the data's at wave %d", from, to, got, worst);
    else printf(" %d: %.3g of the data's", worst, got);
    if (low ? best < LOSS : best > 1 / LOSS)
        printf(", where the last time leaves %.3g at best", best);
    puts("");
}

/* against_data -- prints the law on the first grid over that of the data; returns the largest
 * |ratio - 1| of a wave. */
static double against_data(const place *q, const args *o, fd_arena a)
{
    enum { SHOW = 9 };
    const fd_space *s = &q->k->s;
    int sampled = is_sampled(q->k, o), shown[SHOW], n = 0, last = -1;
    double sum = 0, got = 0, d2 = 0, c2 = 0, off = 0;
    double *count = fd_new(&a, double, q->bins), *ones = fd_raw(&a, double, s->modes);
    double *least = fd_new(&a, double, q->bins), *most = fd_new(&a, double, q->bins);
    need(a.st);
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        double d = sqrt((double)q->var[1][k]) - sqrt(q->k->c0->lam[k]);
        ones[k] = q->k->noise->lam[k] > 0;
        d2 += d * d;
        c2 += q->k->c0->lam[k];
    }
    by_wave(s, q->bins, ones, count);
    for (int j = 0; j < q->bins; j++) sum += q->data[j], got += q->e[1][j];
    for (int j = 0; j < q->bins; j++) {                /* what is left of rounding is no wave */
        if (!(q->data[j] > 1e-9 * sum)) continue;
        double chance = sampled ? 3 * sqrt(2 / (o->n * s->ch * fmax(count[j], 1))) : 0;
        least[j] = fmin(LOSS, 1 / (1 + chance)), most[j] = fmax(1 / LOSS, 1 + chance);
        off = fmax(off, fabs(q->e[1][j] / q->data[j] - 1));
    }
    for (int j = 0; j < q->bins; j++) if (least[j] > 0) last = j;
    for (int j = 0; j <= last; j++) {                  /* some waves, the last one, too */
        int near = n && (j < 1.5 * shown[n - 1] || n > SHOW - 2);
        if (least[j] > 0 && (j == last || q->bins <= SHOW || !near)) shown[n++] = j;
    }
    printf("\nvariance by wave over that of the data\n%-29s", "wave");
    for (int i = 0; i < n; i++) printf(" %6d", shown[i]);
    printf("\n%-29s", "samples");
    for (int i = 0; i < n; i++) printf(" %6.3g", q->e[1][shown[i]] / q->data[shown[i]]);
    printf("\n%-29s", "exact law at the last time");
    for (int i = 0; i < n; i++) printf(" %6.3g", q->best[shown[i]] / q->data[shown[i]]);
    printf("\nin all %.3g of the data's variance; ", got / sum);
    if (sampled) printf("by %d samples\n", o->n);
    else printf("W2 to the data %.3g of their deviation\n", sqrt(d2 / c2));
    energy(q, least, most, 1);
    energy(q, least, most, 0);
    return off;
}

/* moved -- the largest |x/y - 1| where y is not much smaller than its largest. */
static double moved(ptrdiff_t n, const double *x, const double *y, double floor)
{
    double top = 0, most = 0;
    for (ptrdiff_t i = 0; i < n; i++) top = fmax(top, y[i]);
    for (ptrdiff_t i = 0; i < n && top > 0; i++)
        most = fmax(most, fabs(x[i] - y[i]) / (y[i] + floor * top));
    return most;
}

/* row_of -- one line of the table. limit 0: a pixel variance, which must converge from n to 2n to
 * 4n, and cannot fall where modes are only added. */
static int row_of(const char *name, const double v[GRIDS], double limit, double tol)
{
    double up = v[1] - v[0], on = v[2] - v[1], least = -tol * v[0];
    int ok = 1;
    printf("%-29s", name);
    for (int g = 0; g < GRIDS; g++) {
        if (limit > 0) ok &= v[g] <= limit;
        printf(" %9.3g", v[g]);
    }
    if (limit > 0) printf("    <= %-7.2g", limit);
    else {
        ok = up >= least && on >= least && on <= fmax(0.9 * up, -least);
        printf("    converges ");
    }
    puts(ok ? " pass" : " FAIL");
    return ok;
}

/* conditions -- [Survey conds. 2.1-2.4] and I to VI of [Thesis sec. 4.2], as sums over modes at n,
 * 2n and 4n points: does each have a limit? (The formulas of 2.1 are those under which the linear
 * equation has a strong solution.) A sum whose tail falls more slowly than n^-.15 is taken for one
 * without. Status 1 where C has no trace, or X_t's law is not equivalent to that of the noise. */
static int converges(const double v[3])
{
    double up = fabs(v[1] - v[0]), on = fabs(v[2] - v[1]);
    return isfinite(v[0] + v[1] + v[2]) && on <= fmax(.9 * up, 1e-6 * fabs(v[2]));
}

static int conditions(const args *o, const kit *base, fd_arena a)
{
    static const struct { const char *name, *of; size_t at; int vital; } rows[] = {
        { "Tr C = |C^1/2|^2", "noise is a function; thesis: trace class",
          offsetof(fd_conditions, trace), 1 },
        { "|C|^2 (Hilbert-Schmidt)", "thesis II, 4.20", offsetof(fd_conditions, square), 0 },
        { "E|X_0|^2", "data are functions", offsetof(fd_conditions, data), 0 },
        { "E|A X_0|^2", "survey 2.1 i: a strong solution", offsetof(fd_conditions, start), 0 },
        { "|A Q^1/2|^2", "survey 2.1 ii", offsetof(fd_conditions, smooth), 0 },
        { "max a", "survey 2.3: A bounded; thesis II, 4.21", offsetof(fd_conditions, most), 0 },
        { "Feldman-Hajek sum", "survey 2.4: X_t against N(0, v C)",
          offsetof(fd_conditions, feldman), 1 },
        { "  its mean's part", "survey 2.4", offsetof(fd_conditions, shift), 1 },
        { "E <X_0, C^-1 X_0>", "survey, theorem 2.2: data in the space of C",
          offsetof(fd_conditions, member), 0 },
        { "<mean, C^-1 mean>", "Cameron-Martin norm of the mean", offsetof(fd_conditions, mean),
          0 },
        { "sum a^2 Var X_t", "thesis I, 4.19, and with it III", offsetof(fd_conditions, drift), 0 },
        { "max a^2/lam", "thesis IV, 4.24", offsetof(fd_conditions, ratio), 0 },
        { "modes without noise", "thesis VI: densities mode by mode", offsetof(fd_conditions, bare),
          1 } };
    enum { SIZES = 3 };
    fd_conditions q[SIZES];
    char name[SIZES][48] = { "" };
    int ok = 1;
    double t = .5 * (base->p.tmin + base->p.tmax);
    for (int g = 0; g < SIZES; g++) {
        shape n = { base->s.nd, { 1, 1, 1 } };
        for (int i = 0; i < n.nd; i++) {
            n.n[i] = base->s.n[i] << g;
            sprintf(name[g] + strlen(name[g]), "%s%d", i ? "x" : "", n.n[i]);
        }
        const kit *k = !g ? base : o->model ? kit_on(&a, base, n) : exact_on(&a, o, base, n);
        q[g] = fd_conditions_at(&k->p, k->mean, k->c0, t, a);
        need(a.st);
    }
    printf("at t = %.3g; A = -a by mode, Q = q C, P = Var X_t\n%-24s", t, "");
    for (int g = 0; g < SIZES; g++) printf(" %10s", name[g]);
    puts("");
    for (int i = 0; i < COUNT(rows); i++) {
        double v[SIZES];
        printf("%-24s", rows[i].name);
        for (int g = 0; g < SIZES; g++)
            printf(" %10.4g",
                   v[g] = *(const double *)(const void *)((const char *)&q[g] + rows[i].at));
        int holds = i == COUNT(rows) - 1 ? v[SIZES - 1] == 0 : converges(v);
        printf("  %-9s %s\n", i == COUNT(rows) - 1 ? holds ? "none" : "SOME" : holds ? "converges"
               : "DIVERGES", rows[i].of);
        if (rows[i].vital) ok &= holds;
    }
    puts("survey 2.2, drift diagonal in the modes of C: always; thesis III, a of each mode alone,\n"
         "and of t by a clock: always; thesis V is not written out");
    puts(ok ? "\nthe law of X_t is equivalent to that of the noise, which is a function"
            : "\nNOT SO: a vital sum diverges, or data have modes without noise");
    finish();
    return !ok;
}

/* certify_grid -- grid g: n, 2n, 4n, an odd number of points near n, 2n + 1; its name is added to
 * name. */
static shape certify_grid(int g, shape first, char *name)
{
    shape n = { first.nd, { 1, 1, 1 } };
    for (int i = 0; i < n.nd; i++) {
        int m = first.n[i];
        n.n[i] = g < 3 ? m << g : g == 3 ? m + 1 + m % 2 : 2 * m + 1;
        if (m < 3) die(2, "--grid: certify needs 3 points on each axis");
        sprintf(name + strlen(name), "%s%d", i ? "x" : "", n.n[i]);
    }
    return n;
}

/* off_by -- |x - y|/|y|. */
static double off_by(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double off = 0, size = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        off += pow((double)x[i] - (double)y[i], 2), size += pow((double)y[i], 2);
    return sqrt(off / size);
}

/* bridge_on -- one bridge on the grid of s, half of its time: the path on the grid `base`; returns
 * the cost of its end, and in *parted how far the mean in several steps is from that in one. */
static double bridge_on(const fd_space *s, const fd_space *base, const args *o, fd_real *path,
                        double *parted, fd_arena a)
{
    enum { STEPS = 8 };
    const size_t bytes = (size_t)s->points * sizeof(fd_real);
    fd_cov *target = cov_build(&a, s, &o->target, NULL, 0);
    spec_need(a.st, "target");
    fd_cov *noise = cov_build(&a, s, &o->cov, NULL, 0);
    spec_need(a.st, "cov");
    fd_linear l = fd_linear_heat(&a, noise, o->heat.v[0], o->heat.v[1], 1);
    fd_real *x = fd_raw(&a, fd_real, s->points), *to = fd_raw(&a, fd_real, s->points);
    fd_real *xi = fd_raw(&a, fd_real, s->points), *mean = fd_raw(&a, fd_real, s->points);
    fd_real *once = fd_raw(&a, fd_real, s->points);
    need(a.st);
    fd_cov_draw(target, fd_seed(o->seed), 0, 1, x, a);
    fd_cov_draw(target, fd_seed(o->seed), 1, 1, to, a);
    fd_cov_pow(noise, 0, 1, x, x, a), fd_cov_pow(noise, 0, 1, to, to, a);
    memcpy(mean, x, bytes), memcpy(once, x, bytes);
    double cost = fd_bridge_cost(&l, x, to, NULL, a);
    for (int k = 0; k < STEPS / 2; k++) {                  /* to the middle, where it is widest */
        const double from = (double)k / STEPS, at = (k + 1.) / STEPS;
        fd_cov_draw(noise, fd_stream(fd_seed(o->seed), 'w', (uint32_t)k), 0, 1, xi, a);
        fd_bridge_step(&l, from, at, 1, x, to, xi, a);
        fd_bridge_step(&l, from, at, 1, mean, to, NULL, a);
    }
    fd_bridge_step(&l, 0, .5, 1, once, to, NULL, a);
    need(a.st);
    *parted = off_by(s->points, mean, once);
    fd_resample(s, base, 1, x, path, a);
    return cost;
}

/* certify_bridge -- is a bridge between two functions of the target one path on every grid, and has
 * it a cost? */
static int certify_bridge(args *o, fd_arena a)
{
    static const char *const no[] = { "model", "process", "conditions", "law", "out", "png", "n",
                                      "steps", "scheme", "eta", "times", "start", "corrector",
                                      "churn", "batch", "denoise" };
    for (int i = 0; i < COUNT(no); i++)
        if (is_given(no[i])) die(2, "--%s: not with --bridge", no[i]);
    const double tol = o->tol > 0 ? o->tol : 1e-3;
    const shape first = o->grid.nd ? o->grid : (shape){ 1, { 32, 1, 1 } };
    double v[3][GRIDS];
    char name[GRIDS][32] = { "" }, text[512];
    fd_space base = { 0 };
    fd_real *path[2] = { NULL };           /* of the first grid, of this one */
    printf("cov %s\n", spec_text(&o->cov, text));
    printf("operator %s\n", spec_text(&o->heat, text));
    printf("ends of %s\n\n%-29s", spec_text(&o->target, text), "grid");
    for (int g = 0; g < GRIDS; g++) {
        fd_arena own = a;
        const shape n = certify_grid(g, first, name[g]);
        fd_space s = fd_grid(g ? &own : &a, n.nd, n.n, NULL, o->bc, 1);
        if (!g) {
            base = s;
            for (int i = 0; i < 2; i++) path[i] = fd_raw(&a, fd_real, s.points);
            own = a;
        }
        v[2][g] = bridge_on(&s, &base, o, path[g > 0], &v[1][g], own);
        v[0][g] = off_by(base.points, path[g > 0], path[0]);
        printf(" %9s", name[g]);
    }
    puts("    limit");
    int ok = row_of("a path, same seed", v[0], tol, tol);
    ok &= row_of("mean in 1 step and in 4", v[1], tol, tol);
    int ends = row_of("cost of the end", v[2], 0, tol);
    puts(!ok ? "\nFAIL: the path depends on the grid" : ends ? "\nPASS: one path, on every grid"
         : "\nFAIL: the cost does not converge: no path of functions has such an end: smoother "
           "ends (--target), or rougher noise (--cov)");
    int status = finish();
    return status ? status : !(ok && ends);
}

/* certify_first -- the model on the first grid: that of --model, or the exact one. */
static const kit *certify_first(fd_arena *a, args *o)
{
    if (o->model) {
        model_decides();
        const kit *k = kit_on(a, kit_load(a, o->model, NULL), o->grid);
        condition_none(k, o->model);
        o->cov = k->cov;
        o->process = k->process;
        return k;
    }
    if (o->cov.row == COV_EMPIRICAL || o->target.row == COV_EMPIRICAL)
        die(2, "certify: empirical needs a model, --model");
    if (ref_of(&o->target) == 0 || (o->target.row == 0 && o->target.v[1] == 0))
        die(2, "--target: needs a law on functions, not one for each grid");
    return exact_on(a, o, NULL, o->grid.nd ? o->grid : (shape){ 1, { 32, 1, 1 } });
}

/* certify_say -- what is judged, by what, and the head of the table. */
static void certify_say(const place q[GRIDS], const args *o, const kit *base, fd_arena a)
{
    char text[2][512];
    printf("cov %s\nprocess %s\n", spec_text(&o->cov, text[0]), spec_text(&o->process, text[1]));
    settled_print(o);
    if (o->model) printf("\nmodel %s, %d samples on each grid\n", o->model, o->n);
    else printf("\ndata %s, exact\n", spec_text(&o->target, text[0]));
    if (is_sampled(base, o) && !o->model)
        printf("a step of this corrector depends on the function: by %d samples on each grid\n",
               o->n);
    gap_print(base, a);
    puts("\nlargest relative change from the first grid; pixel variances as they are");
    printf("%-29s", "grid");
    for (int g = 0; g < GRIDS; g++) printf(" %9s", q[g].name);
    puts("    limit");
}

/* modes_moved -- how far the variances of the modes of noise (0) or samples (1) move from those of
 * the first grid: for the samples of a trained model, of the modes that it answers for. */
static void modes_moved(const place q[GRIDS], int which, int trained, double floor,
                        double v[GRIDS], fd_arena a)
{
    const fd_space *s = &q[0].k->s;
    double *x = fd_raw(&a, double, s->modes), *y = fd_raw(&a, double, s->modes);
    need(a.st);
    for (int g = 0; g < GRIDS; g++) {
        ptrdiff_t n = 0;
        for (ptrdiff_t k = 0; k < s->modes; k++)
            if (!trained || !which || wave_of(s, k) <= LOW) {
                x[n] = (double)q[g].var[which][k];
                y[n++] = (double)q[0].var[which][k];
            }
        v[g] = moved(n, x, y, floor);
    }
}

/* draws_moved -- the distance of draws of the same seed, on the modes of the first grid, from those
 * of the first grid, in units of their size. */
static void draws_moved(const place q[GRIDS], ptrdiff_t size, double v[GRIDS])
{
    for (int g = 0; g < GRIDS; g++) {
        double d2 = 0, sum = 0;
        for (ptrdiff_t j = 0; j < size; j++) {
            double d = (double)q[g].u[j] - (double)q[0].u[j];
            d2 += d * d;
            sum += (double)q[0].u[j] * (double)q[0].u[j];
        }
        v[g] = sum > 0 ? sqrt(d2 / sum) : 0;
    }
}

/* certify_table -- prints the table; is it one law on every grid? limit: do the pixel variances
 * converge? */
static int certify_table(const place q[GRIDS], const args *o, int *limit, fd_arena a)
{
    static const char *const what[2] = { "noise: variance of modes", "samples: variance of modes" };
    const int trained = o->model != NULL;
    const double tol = o->tol > 0 ? o->tol : trained ? 0.1 : 1e-3;
    const double floor = trained ? 1e-2 : sizeof(fd_real) == 8 ? 1e-8 : 1e-3;
    double v[GRIDS];
    int ok = 1;
    *limit = 1;
    for (int i = 0; i < 2; i++) {
        modes_moved(q, i, trained, floor, v, a);
        ok &= row_of(what[i], v, i ? tol : fmin(tol, 1e-3), tol);
        for (int g = 0; g < GRIDS; g++) v[g] = q[g].pixel[i];
        *limit &= row_of("  pixel variance", v, 0, tol);
    }
    for (int g = 0; g < GRIDS; g++) v[g] = moved(q[0].bins, q[g].e[1], q[0].e[1], floor);
    ok &= row_of("  spectrum", v, tol, tol);
    draws_moved(q, fd_size(&q[0].k->s) * (is_sampled(q[0].k, o) ? o->n : FEW), v);
    return ok & row_of("  restricted, same seed", v, tol, tol);
}

/* certify_csv -- the spectra on each grid. */
static void certify_csv(const char *path, const place q[GRIDS], fd_arena a)
{
    static const char *const cols[] = { "points", "wave", "noise", "samples", "data" };
    int rows = 0, at = 0;
    for (int g = 0; g < GRIDS; g++) rows += q[g].bins;
    double *y = fd_raw(&a, double, rows * COUNT(cols));
    for (int g = 0; y && g < GRIDS; g++)
        for (int j = 0; j < q[g].bins; j++, at += COUNT(cols))
            memcpy(y + at, (double[]){ (double)q[g].k->s.points, j, q[g].e[0][j], q[g].e[1][j],
                                       q[g].data[j] }, COUNT(cols) * sizeof *y);
    fd_csv_save(a.st, path, COUNT(cols), cols, rows, y);
    need(a.st);
    wrote(path);
}

/* certify_png -- the spectra of noise and of samples on each grid, and the samples' over those of
 * the first grid. */
static void certify_png(const char *path, const place q[GRIDS], fd_arena a)
{
    plot p[3];
    plot_begin(&p[2], 720, 560, "samples over those of the first grid", "wavenumber",
               "ratio of variances", 1, 1);
    p[2].lo[1] = 0.1, p[2].hi[1] = 10;
    for (int i = 0; i < 2; i++) {
        double top = 0, least = BIG, *w2 = NULL;
        plot_begin(&p[i], 720, 560, i ? "samples" : "noise at the first time", "wavenumber",
                   "variance", 1, 1);
        for (int g = 0; g < GRIDS; g++) {
            double *w = fd_raw(&a, double, q[g].bins);
            need(a.st);
            for (int j = 0; j < q[g].bins; j++) {
                w[j] = j;
                if (j) top = fmax(top, q[g].e[i][j]);
                if (j && q[g].e[i][j] > 0) least = fmin(least, q[g].e[i][j]);
            }
            plot_line(&p[i], q[g].bins, w, q[g].e[i], q[g].name, PLOT_MARKED);
            if (g == 2) w2 = w;
            int n = q[g].bins < q[0].bins ? q[g].bins : q[0].bins;
            double *ratio = i ? fd_new(&a, double, n) : NULL;
            for (int j = 0; j < n && ratio; j++)
                ratio[j] = q[0].e[1][j] > 1e-8 * q[0].e[1][0] ? q[g].e[1][j] / q[0].e[1][j] : NAN;
            if (i) plot_line(&p[2], n, w, ratio, q[g].name, g ? PLOT_MARKED : PLOT_SOLID);
        }
        if (i) plot_line(&p[i], q[2].bins, w2, q[2].data, "data", PLOT_DASHED);
        if (least < 1e-9 * top) p[i].lo[1] = 1e-9 * top;
    }
    plot_row(a.st, 3, p, path, a);
    need(a.st);
    wrote(path);
}

static int do_certify(args *o)
{
    static place q[GRIDS];
    fd_status st;
    fd_arena a = arena_make(o, &st);
    int limit;
    if (is_given("bridge")) return certify_bridge(o, a);
    const kit *base = certify_first(&a, o);
    if (o->conditions) return conditions(o, base, a);
    *o = settle(o, base);
    for (int g = 0; g < GRIDS; g++) {
        const shape n = certify_grid(g, shape_of(&base->s), q[g].name);
        q[g].k = !g ? base : o->model ? kit_on(&a, base, n) : exact_on(&a, o, base, n);
        measure(&q[g], o, base, &a);
    }
    certify_say(q, o, base, a);
    int ok = certify_table(q, o, &limit, a);
    double off = against_data(&q[0], o, a);
    puts(!ok ? "\nFAIL: the law depends on the grid"
       : limit ? "\nPASS: one law, on every grid"
       : "\nFAIL: a pixel variance that does not converge: white noise, or a --grid too coarse "
         "for it");
    ok &= limit;
    if (o->law_tol > 0 && !(off <= o->law_tol)) {
        printf("FAIL: not the law of the data: a wave differs by %.3g, more than --law %g\n", off,
               o->law_tol);
        ok = 0;
    }
    if (o->out) certify_csv(o->out, q, a);
    if (o->png) certify_png(o->png, q, a);
    int status = finish();
    return status ? status : !ok;
}

/* ---- fd orders -------------------------------------------------------------------------------
 *
 * The error of every scheme for exact Gaussian data, started from the exact law, against its
 * evaluations of the model: sqrt(sum (sqrt P - sqrt P_exact)^2 / sum P_exact) over modes, which is
 * the distance W2 of the laws, and for an ODE that of the paths, too. */

enum { HALVES = 16 };
static const char *const orders_name[] = { "scheme", "steps", "evaluations", "error" };
typedef struct {
    int runs, most, rows;                  /* numbers of steps, the largest; rows of the table */
    double least;                          /* an error that is no more than rounding */
    double evals[FD_SCHEMES][HALVES], err[FD_SCHEMES][HALVES];
    double out[FD_SCHEMES * HALVES][COUNT(orders_name)];
} orders;

/* law_error -- of a law's variances beside the exact ones. */
static double law_error(ptrdiff_t n, const double *var, const double *exact)
{
    double d2 = 0, sum = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double d = sqrt(var[j]) - sqrt(exact[j]);
        d2 += d * d;
        sum += exact[j];
    }
    return sqrt(d2 / sum);
}

/* draws_noise -- is a step random? */
static int draws_noise(const fd_sampler *how)
{
    const int c = how->scheme;
    return how->eta > 0 || c == FD_EULER_MARUYAMA
        || (c >= FD_EXPONENTIAL && c <= FD_ANCESTRAL_OPTIMAL)
        || (c >= FD_VE_PREDICTOR && c < FD_ONE_STAGE) || c == FD_STOCHASTIC_HEUN;
}

/* order_at -- the order that runs up to i show, over two halvings of the step where there are. */
static double order_at(int i, const double *evals, const double *err, double before)
{
    for (int j = i >= 2 ? i - 2 : 0; j < i; j++)
        if (err[j] < 0.5 && evals[i] > evals[j])
            return log(err[j] / err[i]) / log(evals[i] / evals[j]);
    return before;
}

/* orders_of -- the errors of scheme c, on one line; returns 1 where there are any; *drawn: does
 * it draw noise? */
static int orders_of(orders *q, const kit *k, const args *o, int c, int *drawn, fd_arena a)
{
    double *var = fd_raw(&a, double, k->s.modes), *exact = fd_raw(&a, double, k->s.modes);
    double *t = fd_raw(&a, double, q->most + 1), order = NAN, top = 0;
    double *evals = q->evals[c], *err = q->err[c];
    char why[256] = "";
    int good = 0;
    need(a.st);
    for (int i = 0; i < q->runs; i++) {
        int n = 0, steps = q->most >> (q->runs - 1 - i);
        fd_sampler how = { .p = &k->p, .model = k->model, .t = t, .scheme = c, .evals = &n,
                           .steps = c == FD_PF_ADAPTIVE ? 1 : steps,
                           .eta = c == FD_ETA_EULER ? o->eta : 0 };
        how.rtol = how.atol = pow(10, -1 - 0.75 * i);
        args at = *o;
        at.steps = how.steps;
        times_set(k, &at, t, a.st);
        law_at(k, t[0], var, a);
        fd_exact_law(&how, NULL, var, a);
        evals[i] = n;
        err[i] = NAN;
        if (a.st->code == FD_ENOMEM) need(a.st);
        if (a.st->code) { fd_explain(a.st, why, sizeof why); a.st->code = FD_OK; continue; }
        law_at(k, t[how.steps], exact, a);
        err[i] = law_error(k->s.modes, var, exact);
        if (err[i] > q->least) order = order_at(i, evals, err, order);
        good++;
        top = fmax(top, err[i]);
        *drawn |= draws_noise(&how);
        memcpy(q->out[q->rows++], (double[]){ c, how.steps, n, err[i] }, sizeof q->out[0]);
    }
    printf("%-22s", fd_scheme_name(c));
    for (int i = 0; i < q->runs && good; i++) {
        if (err[i] >= 0) printf(" %8.1e", err[i]);
        else printf(" %8s", "-");
    }
    if (!good) printf(" %s\n", why);
    else if (order >= 0 || order < 0) printf("   %5.2f\n", order);
    else puts(top < q->least ? "   exact" : "       -");
    return good > 0;
}

static int do_orders(args *o)
{
    static orders q;
    fd_status st;
    fd_arena a = arena_make(o, &st);
    char text[3][512];
    if (o->cov.row == COV_EMPIRICAL || o->target.row == COV_EMPIRICAL)
        die(2, "orders: empirical needs data");
    q.most = o->steps, q.least = sizeof(fd_real) == 8 ? 1e-12 : 1e-4;
    for (int n = q.most; n >= 4 && q.runs < HALVES; n /= 2) q.runs++;
    const kit *k = exact_on(&a, o, NULL, o->grid);
    *o = settle(o, k);
    plot p[2];
    plot_begin(&p[0], 900, 600, "without noise", "evaluations of the model", "error", 1, 1);
    plot_begin(&p[1], 900, 600, "with noise", "evaluations of the model", "error", 1, 1);
    for (int i = 0; i < 2; i++)
        p[i].hi[1] = i ? 10 : 1, p[i].lo[1] = q.least / 100, p[i].beside = 1;
    printf("cov %s, data %s\nprocess %s; error by steps\n\n%-22s", spec_text(&o->cov, text[0]),
           spec_text(&o->target, text[1]), spec_text(&o->process, text[2]), "scheme");
    for (int i = 0; i < q.runs; i++) printf(" %8d", q.most >> (q.runs - 1 - i));
    puts("   order");
    for (int c = 0; c < FD_SCHEMES; c++) {
        int drawn = 0;
        if (c == FD_ANNEALED) continue;                /* its error is that of the corrector */
        if (!orders_of(&q, k, o, c, &drawn, a)) continue;
        plot_line(&p[drawn], q.runs, q.evals[c], q.err[c], fd_scheme_name(c),
                  p[drawn].count < 8 ? PLOT_MARKED : PLOT_DASHED);
    }
    if (o->out) {
        fd_csv_save(&st, o->out, COUNT(orders_name), orders_name, q.rows, q.out[0]);
        need(&st);
        wrote(o->out);
    }
    if (o->png) {
        plot_row(&st, 2, p, o->png, a);
        need(&st);
        wrote(o->png);
    }
    return finish();
}

/* ---- fd loglik -------------------------------------------------------------------------------
 *
 * Log densities of functions at the last time: by the probability flow back to the law that
 * samplers start from, and that of Gaussian data with the mean and the spectrum that the model
 * knows, N(m mean, m^2 c + v C), in closed form: for an exact model the same, but for the start.
 * Between them the bound of the path space, at t = 0. All in nats for the coefficients of the D
 * modes that carry noise; less log N(x; 0, C) they have a limit on fine grids. All of it is for the
 * functions of the file, not for what the model makes of them: x = scale file + .. in each channel
 * adds sum D_c log scale_c. Bits per dimension are of values: with h the weight of a point, -(log p
 * + D/2 log h)/(D log 2). */

enum { NETWORK_PROBES = 8, NETWORK_PAIRS = 4, LOGLIK_COLS = 6 };
static const char *const loglik_name[LOGLIK_COLS] = { "function", "log_density", "over_noise",
                                                      "bits", "bound", "gaussian" };
typedef struct {
    kit k;
    dataset d;
    normal norm;                           /* of the functions of the file */
    int probes, pairs;
    ptrdiff_t dims;                        /* modes that carry noise */
    double scale;                          /* log of what norm does to volumes */
    fd_real *x0, *mean;                    /* the functions; mean and variances of Gaussian data */
    fd_cov *end;
} density;

/* density_model -- the model of --model and the functions of --data. */
static void density_model(fd_arena *a, args *o, density *q)
{
    model_decides();
    if (!o->data) die(2, "loglik: --model needs --data FILE");
    q->k = *kit_on(a, kit_load(a, o->model, NULL), o->grid);
    condition_none(&q->k, o->model);
    memcpy(o->bc, q->k.s.bc, sizeof o->bc);
    q->d = data_open(a, o->data, o, &q->k, shape_of(&q->k.s), shape_of(&q->k.s));
    if (!o->raw) q->norm = q->k.norm;
    if (q->k.model.predicts > FD_VELOCITY)
        die(1, "%s: no density from a network that says %s", o->model,
            t_predict.rows[q->k.model.predicts].name);
}

/* density_exact -- the exact model, and the functions of --data or draws of the target. */
static void density_exact(fd_arena *a, const args *o, density *q)
{
    shape g = o->grid.nd ? o->grid : (shape){ 1, { 32, 1, 1 } };
    if (o->raw) die(2, "--raw: is for --model");
    if (o->cov.row == COV_EMPIRICAL || o->target.row == COV_EMPIRICAL)
        die(2, "loglik: empirical needs a model, --model");
    if (o->data) {
        q->d = data_open(a, o->data, o, NULL, o->grid, g);
        q->norm = q->d.norm;
        g = shape_of(&q->d.s);
    }
    q->k = *exact_on(a, o, NULL, g);
    if (!o->data) {
        fd_real *drawn = fd_raw(a, fd_real, o->n * fd_size(&q->k.s));
        fd_cov_draw(q->k.c0, fd_seed(o->seed), 0, o->n, drawn, *a);
        q->d = data_array("draws of the target", &q->k.s, o->n, drawn);
    } else if (q->d.s.ch > 1) die(1, "%s: %d channels: needs --model", o->data, q->d.s.ch);
}

/* density_gauss -- what is known in closed form: the dimensions, the change of volumes, the law of
 * Gaussian data at the last time. */
static void density_gauss(fd_arena *a, density *q)
{
    const kit *k = &q->k;
    const fd_space *s = &k->s;
    double *var = fd_raw(a, double, s->ch * s->modes);
    q->mean = fd_new(a, fd_real, fd_size(s));
    need(a->st);
    law_at(k, k->p.tmin, var, *a);
    q->end = fd_cov_table(a, s, var);
    if (k->mean) fd_to_modes(s, 1, k->mean, q->mean, *a);
    for (ptrdiff_t i = 0; i < s->ch * s->modes; i++) {
        q->mean[i] *= (fd_real)fd_law(&k->p, k->p.tmin, i % s->modes).m;
        q->dims += k->noise->lam[i % s->modes] > 0;
    }
    fd_from_modes(s, 1, q->mean, q->mean, *a);
    for (int c = 0; c < s->ch; c++) q->scale += (double)q->dims / s->ch * log(q->norm.scale[c]);
}

/* density_rows -- a row of the table for each function. */
static void density_rows(const density *q, const args *o, double *out, fd_arena a)
{
    const kit *k = &q->k;
    const fd_space *s = &k->s;
    const ptrdiff_t size = fd_size(s);
    const int n = q->d.m;
    double *t = fd_raw(&a, double, o->steps + 1), ends[2] = { k->p.tmax, k->p.tmin };
    double *p = fd_raw(&a, double, 2 * o->batch), begin = now();
    need(a.st);
    times_set(k, o, t, a.st);
    fd_sampler flow = sampler_of(o, &k->p, k->model, t);
    flow.mean = k->mean;
    flow.cov = k->c0;
    fd_sampler bound = flow;
    if (o->scheme.row == FD_PF_ADAPTIVE) flow.t = ends, flow.steps = 1;
    for (int i = 0; i < n; i += o->batch) {
        int b = n - i < o->batch ? n - i : o->batch;
        fd_rng r = fd_seed(o->seed);
        fd_loglik(&flow, q->probes, r, i, b, q->x0 + i * size, p, a);
        fd_elbo(&bound, q->pairs, r, i, b, q->x0 + i * size, p + b, NULL, a);
        need(a.st);
        for (int j = 0; j < b; j++) {
            const fd_real *x = q->x0 + (i + j) * size;
            double log_p = p[j] + q->scale;
            const double got[] = { i + j, log_p, p[j] - fd_gauss_logp(k->noise, NULL, x, a),
                                   -(log_p / (double)q->dims + 0.5 * log(s->h)) / log(2),
                                   q->scale - p[b + j],
                                   fd_gauss_logp(q->end, q->mean, x, a) + q->scale };
            memcpy(out + (i + j) * LOGLIK_COLS, got, sizeof got);
            for (int c = 1; c < LOGLIK_COLS; c++)
                if (!(fabs(got[c]) < INFINITY))
                    die(1, "function %d: its %s is not finite", i + j, loglik_name[c]);
        }
        double done = (double)(i + b) / n, spent = now() - begin;
        if (isatty(2))
            progress("sample", i + b, done, -1, done * n / spent, spent * (1 / done - 1));
    }
    bar_end();
}

/* density_print -- the first rows of the table, the mean and the deviation of all. */
static void density_print(int n, const double *out)
{
    enum { SHOW = 16 };
    puts("function      log density   over N(0, C)   bits per dim          bound       Gaussian");
    for (int i = 0; i < n && i < SHOW; i++) {
        printf("%-10d", i);
        for (int c = 1; c < LOGLIK_COLS; c++) printf(" %14.6g", out[i * LOGLIK_COLS + c]);
        puts("");
    }
    for (int sd = 0; sd < (n > 1 ? 2 : 1); sd++) {
        printf("%-10s", sd ? "+-" : "mean");
        for (int c = 1; c < LOGLIK_COLS; c++) {
            double sum = 0, sq = 0;
            for (int i = 0; i < n; i++) sum += out[i * LOGLIK_COLS + c] / n;
            for (int i = 0; i < n; i++) sq += pow(out[i * LOGLIK_COLS + c] - sum, 2);
            printf(" %14.6g", sd ? sqrt(sq / (n - 1)) : sum);
        }
        puts("");
    }
}

static int do_loglik(args *o)
{
    static density q;
    fd_status st;
    fd_arena a = arena_make(o, &st);
    kit *k = &q.k;
    if (o->scheme.row < FD_PF_HEUN || o->scheme.row == FD_STOCHASTIC_HEUN
        || o->scheme.row == FD_PF_MULTISTEP || o->scheme.row == FD_ANNEALED)
        die(2, "--scheme: a density needs pf-heun, pf-midpoint, pf-rk4 or pf-adaptive");
    q.norm = normal_plain(0);
    if (o->model) density_model(&a, o, &q);
    else density_exact(&a, o, &q);
    need(&st);
    if (q.d.m > o->n) q.d.m = o->n;
    data_measure(&a, &q.d, 0, &q.norm);
    if (o->data) data_say(&q.d, "", o->model);
    if (o->model) data_like(&q.d, o->model);
    q.x0 = data_gather(&a, &q.d, 0, q.d.m);
    const int n = q.d.m, exact = k->model.var != NULL;
    q.probes = o->probes ? o->probes : exact ? 0 : NETWORK_PROBES;
    q.pairs = exact ? 0 : NETWORK_PAIRS;
    if (k->process.row == PROCESS_DDPM) k->p.tmin = 1;                 /* there is no noise at 0 */
    if (!(fd_law(&k->p, k->p.tmin, 0).v > 0))
        die(2, "--process: no density at t = %g, where there is no noise: %s:tmin=...", k->p.tmin,
            k->process.t->rows[k->process.row].name);
    *o = settle(o, k);
    double *out = fd_raw(&a, double, n * LOGLIK_COLS);
    density_gauss(&a, &q);
    fd_cov_pow(k->noise, 0, n, q.x0, q.x0, a);         /* as in training */
    need(&st);
    density_rows(&q, o, out, a);
    printf("%d functions, %ld dimensions, t = %g (bound: 0); %s, ", n, (long)q.dims, k->p.tmin,
           fd_scheme_name(o->scheme.row));
    if (q.probes) printf("%d probes of the trace\n", q.probes);
    else puts("exact trace");
    density_print(n, out);
    if (o->out) {
        fd_csv_save(&st, o->out, LOGLIK_COLS, loglik_name, n, out);
        need(&st);
        wrote(o->out);
    }
    return finish();
}

/* ---- fd info --------------------------------------------------------------------------------- */

/* text_print -- a text of a file, in a line whatever is in it. */
static void text_print(const char *s, int width)
{
    char text[1024];
    printf("%-*s", width, fd_escape(s, text, sizeof text));
}

/* numbers_print -- what is in an array, in one pass through it. */
static void numbers_print(const source *f, fd_arena a)
{
    double lo = INFINITY, hi = -INFINITY, mid = 0, sum = 0, sq = 0;
    ptrdiff_t total = source_count(f), step = f->files ? source_slab(f) : 4096, odd = 0, good = 0;
    double *v = fd_raw(&a, double, step);
    if (!v) return;
    for (ptrdiff_t i = 0; i < total; i += step) {
        ptrdiff_t m = total - i < step ? total - i : step;
        if (f->files) source_doubles(f, i / step, 1, v, a);
        else source_some(f, i, m, NULL, v, a);
        if (a.st->code) return;
        for (ptrdiff_t j = 0; j < m; j++) {
            if (!(fabs(v[j]) <= DBL_MAX)) { odd++; continue; }
            if (!good++) mid = v[j];
            lo = fmin(lo, v[j]);
            hi = fmax(hi, v[j]);
            sum += v[j] - mid;
            sq += (v[j] - mid) * (v[j] - mid);
        }
    }
    double mean = good ? sum / (double)good : 0;
    if (good)
        printf("  min %.6g  max %.6g  mean %.6g  sd %.6g", lo, hi, mid + mean,
               sqrt(fmax(0, sq / (double)good - mean * mean)));
    if (odd) printf("  %ld NaN or infinite", (long)odd);
}

/* padding of each axis, where later ones may be as the first one is; ends of the coordinates */
static void foreign_pad(fd_foreign *how, const double v[3])
{
    for (int i = 0; i < 3; i++) how->pad[i] = i && v[i] >= 0 ? v[i] : v[0];
}

static void foreign_bounds(fd_foreign *how, const double v[2])
{
    for (int i = 0; i < 3; i++) how->from[i] = v[0], how->to[i] = v[1];
}

/* foreign_net -- the network of weights from elsewhere, or why not. */
static fd_net *foreign_net(fd_arena *a, const fd_tensors *f, const spec *as, char why[256])
{
    static const int acts[] = { FD_GELU, FD_GELU_TANH, FD_SILU, FD_RELU, FD_TANH };
    static const int closed[] = { FD_COORD_CLOSED, FD_COORD_OPEN, FD_COORD_NONE };
    static const int open[] = { 0, FD_COORD_OPEN, FD_COORD_CLOSED, FD_COORD_NONE };
    static const int time[] = { 0, FD_TIME_CHANNEL, FD_TIME_NONE };
    const double *v = as->v;
    fd_foreign how;
    memset(&how, 0, sizeof how);
    if (as->row == AS_FNO || as->row == AS_NEURALOP || as->row == AS_FFM) how.act = acts[(int)v[0]];
    if (as->row == AS_FNO) {
        how.coords = closed[(int)v[1]];
        how.time = time[(int)v[2]];
        how.tscale = v[3];
        foreign_pad(&how, v + 4);
        foreign_bounds(&how, v + 7);
    } else if (as->row == AS_NEURALOP) {
        how.coords = open[(int)v[1]];
        how.time = time[(int)v[2]];
        how.reversed = (int)v[3];
        how.version = 2 - (int)v[4];
        how.tscale = v[5];
        foreign_pad(&how, v + 6);
        how.norms = (int)v[9];
        how.skip = (int)v[10];
        how.mix_skip = (int)v[11];
        foreign_bounds(&how, v + 12);
        for (int i = 0; i < 3; i++) how.modes[i] = (int)(i && v[14 + i] > 0 ? v[14 + i] : v[14]);
    } else if (as->row == AS_FFM) {
        how.coords = FD_COORD_CLOSED;
        how.time = FD_TIME_CHANNEL;
        how.reversed = 1;
        how.tscale = 1e-3;
        foreign_pad(&how, v + 1);
    } else if (as->row == AS_UVIT) {
        how.heads = (int)v[0];
        how.tscale = v[1];
    }
    fd_net *net = fd_net_from(a, f, &how);
    fd_explain(a->st, why, 256);
    if (a->st->code == FD_ENOMEM) need(a->st);
    a->st->code = FD_OK;
    return net;
}

static void net_print(const char *program, const fd_net *net)
{
    static const char *const coords[] = { "", "open", "closed", "none" };
    static const char *const time[] = { "", "a channel", "film", "a token", "none" };
    const fd_arch *n = &net->arch;
    printf("%s, %d-D: in %d, out %d, width %d, layers %d, ", program, n->nd, n->in, n->out,
           n->width, n->layers);
    if (n->kind == FD_UVIT) printf("heads %d, patches ", n->vit.heads);
    else printf("coordinates %s, modes ", coords[n->coords]);
    for (int i = 0; i < n->nd; i++)
        printf("%s%d", i ? "x" : "", n->kind == FD_UVIT ? n->vit.patch[i] : n->fno.modes[i]);
    printf(", time %s times %g, %ld weights\n", time[n->time], n->tscale, (long)net->count);
}

static int do_info(args *o)
{
    const char *path = o->file, *member = "";
    static const spec as = { &t_as, AS_AUTO, { 0 } };
    char why[256];
    int some = 0;
    fd_status st, first;
    fd_arena a = arena_make(o, &st);
    memset(&first, 0, sizeof first);
    if (!path || !*path) die(2, "info: needs a file");
    path = source_split(&a, path, &member);
    source *all = source_list(&a, path);
    need(&st);
    if (all->why && !*all->member && !all->next) die(1, "%s: %s", path, all->why);
    for (int i = 0; i < all->metas; i++) {
        text_print(all->meta[i].key, 20);
        putchar(' ');
        text_print(all->meta[i].value, 0);
        putchar('\n');
    }
    for (source *f = all; f; f = f->next) {
        fd_arena m = a;
        if (!source_below(f, member)) continue;
        some = 1;
        if (*f->member) {
            text_print(f->member, 28);
            putchar(' ');
        }
        shape_print(f->nd, f->n);
        if (!f->why) {
            source_load(&m, f);
            if (!st.code) numbers_print(f, m);
            if (!first.code) fd_fail_as(&first, &st);
            if (st.code) f->why = "damaged, or too large for the memory";
            st.code = FD_OK;
        }
        printf("  %s%s%s\n", f->type, f->why ? ": " : "", f->why ? f->why : "");
    }
    if (!some) die(1, "%s: it has no '%s'", path, member);
    source_close(all);
    need(&first);
    fd_tensors f = source_tensors(&a, o->file, 0);
    int kind = st.code ? FD_FROM_NONE : fd_foreign_kind(&f);
    st.code = FD_OK;
    if (kind) {
        f = source_tensors(&a, o->file, 1);
        need(&st);
        const fd_net *net = foreign_net(&a, &f, &as, why);
        if (net) net_print(fd_foreign_name(kind), net);
        else printf("%s, but %s\n", fd_foreign_name(kind), why);
    }
    return finish();
}

/* ---- fd convert ------------------------------------------------------------------------------ */

/* convert_npz -- the arrays of f as a .npz, and which are left out. */
static void convert_npz(fd_status *st, const args *o, const fd_tensors *f)
{
    if (o->grid.nd || o->as.row) die(2, "--out: a network is a .safetensors");
    fd_npz_save(st, o->out, f);
    need(st);
    for (int i = 0; i < f->others; i++) {
        printf("left out: ");
        text_print(f->other[i].name, 0);
        putchar(' ');
        shape_print(f->other[i].nd, f->other[i].n);
        printf("  %s\n", f->other[i].type);
    }
}

/* convert_model -- the network with the grid, the noise and the process that the flags say. */
static void convert_model(args *o, fd_net *net, fd_arena a)
{
    const fd_arch *n = &net->arch;
    kit *k = fd_new(&a, kit, 1);
    if (o->grid.nd != n->nd) die(2, "--grid: %d axes, but the network has %d", o->grid.nd, n->nd);
    if (n->in != n->out) die(2, "--grid: no model: %d channels in, %d out", n->in, n->out);
    if (o->cov.row == COV_EMPIRICAL) die(2, "--cov: empirical needs data");
    need(a.st);
    k->cov = o->cov;
    k->process = o->process;
    k->predict = o->predict;
    k->precond = spec_read(&t_precond, "", "none");
    k->axes = n->out > 1 ? AXES_FIRST : AXES_NONE;
    k->norm = normal_plain(0);
    if (n->out > CHANNELS) die(2, "--grid: no model: more than %d channels", CHANNELS);
    k->net = net;
    k->s = fd_grid(&a, n->nd, o->grid.n, NULL, o->bc, n->out);
    k->noise = cov_build(&a, &k->s, &k->cov, NULL, 0);
    spec_need(a.st, "cov");
    k->mean = fd_new(&a, fd_real, fd_size(&k->s));
    k->c0 = cov_table(&a, &k->s, fd_new(&a, fd_real, k->s.modes));
    kit_close(&a, k, &k->s);
    need(a.st);
    o->weight = spec_read(&t_weight, "", "one");
    o->law = spec_read(&t_law, "", "stratified");
    o->norm = spec_read(&t_norm, "", "h");
    o->flip = spec_read(&t_flip, "", t_flip.rows[0].name);
    o->batch = o->accumulate = 1;
    kit_save(a.st, o->out, k, o, a);
}

static int do_convert(args *o)
{
    static const int row_of[FD_FOREIGN] = { AS_AUTO, AS_FNO, AS_NEURALOP, AS_NEURALOP, AS_NEURALOP,
                                            AS_UVIT };
    static const char *const more[] = { "boundary", "cov", "process", "predict" };
    char why[256];
    fd_status st;
    fd_arena a = arena_make(o, &st);
    if (!o->file || !*o->file) die(2, "convert: needs a file");
    for (int i = 0; i < COUNT(more) && !o->grid.nd; i++)
        if (is_given(more[i])) die(2, "--%s: has no meaning without --grid", more[i]);
    fd_tensors f = source_tensors(&a, o->file, 1);
    need(&st);
    if (read_ends(o->out, ".npz")) {
        convert_npz(&st, o, &f);
        wrote(o->out);
        return finish();
    }
    int kind = fd_foreign_kind(&f), said = o->as.row == AS_FFM ? AS_NEURALOP : o->as.row;
    if (!kind) die(1, "%s: no names of a network that is known; fd help as", o->file);
    if (said && said != row_of[kind])
        die(2, "--as: %s: the names in %s are those of %s", t_as.rows[o->as.row].name, o->file,
            fd_foreign_name(kind));
    fd_net *net = foreign_net(&a, &f, &o->as, why);
    if (!net) die(1, "%s: %s", o->file, why);
    net_print(fd_foreign_name(kind), net);
    if (o->grid.nd) convert_model(o, net, a);
    else fd_net_save(&st, o->out, net, NULL, NULL, a);
    need(&st);
    wrote(o->out);
    return finish();
}

/* ---- Commands -------------------------------------------------------------------------------- */

static const struct { const char *name, *what; int of; int (*run)(args *); } commands[] = {
    { "train", "train a network on functions", TRAIN, do_train },
    { "sample", "draw functions from a trained network, on any grid", SAMPLE, do_sample },
    { "noise", "draw Gaussian random functions", NOISE, do_noise },
    { "data", "make functions of the papers' problems: darcy, flow, volcano, ..", DATA, do_data },
    { "eval", "compare samples with real functions", EVAL, do_eval },
    { "certify", "is it one law on every grid? status 1: no", CERTIFY, do_certify },
    { "orders", "error against steps of every sampler", ORDERS, do_orders },
    { "posterior", "functions given observations of one, by any method", POSTERIOR, do_posterior },
    { "calibrate", "does a method draw the posterior? status 1: no", CALIBRATE, do_calibrate },
    { "bridge", "paths of a linear equation whose end is known", BRIDGE, do_bridge },
    { "tune", "a trained model made to draw functions of high reward", TUNE, do_tune },
    { "loglik", "log density of functions, its bound, and the Gaussian one", LOGLIK, do_loglik },
    { "vectors", "write test vectors for programs of any language", VECTORS, do_vectors },
    { "conform", "run somebody's program on them: what fails, and why; status 1", CONFORM,
      do_conform },
    { "judge", "are these functions draws of a known law? status 1: no", JUDGE, do_judge },
    { "info", "say what a file holds: arrays, weights, pictures", INFO, do_info },
    { "convert", "weights of another program to a network of this one", CONVERT, do_convert },
};

/* version -- and how the library was compiled. */
static void version(void)
{
#ifdef FD_VERSION
    printf("fd %s (%s)\n", FD_VERSION_TEXT, fd_build());
#else
    printf("fd (%s)\n", fd_build());
#endif
}

static int help(const char *word)
{
    for (int i = 0; word && i < COUNT(commands); i++) {
        if (strcmp(word, commands[i].name)) continue;
        printf("fd %s: %s\n", word, commands[i].what);
        if (commands[i].of & (INFO | CONVERT | JUDGE)) printf("  fd %s FILE\n", word);
        if (commands[i].of & CONFORM) printf("  fd conform [FOLDER]\n");
        if (commands[i].of & DATA) printf("  fd data NAME[:key=value,..]\n");
        options_help(commands[i].of);
        if (commands[i].of & DATA) puts(""), topic_help(&t_data);
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
    start("fd", argv);
    ranks_begin(&argc, &argv);
    if (argc < 2 || choice("help|--help|-h", argv[1]) >= 0) {
        options_read(&o, INFO, "fd help", 0, argv);    /* names of the schemes */
        return help(argc > 2 ? argv[2] : NULL);
    }
    if (choice("version|--version", argv[1]) >= 0) {
        version();
        return finish();
    }
    for (int i = 0; i < COUNT(commands); i++) {
        const char *file = NULL;
        int skip = 2;
        if (strcmp(argv[1], commands[i].name)) continue;
        sprintf(where, "fd help %s", argv[1]);
        if (commands[i].of & (INFO | CONVERT | DATA | CONFORM | JUDGE) && argc > 2
            && argv[2][0] != '-')
            file = argv[skip++];
        options_read(&o, commands[i].of, where, argc - skip, argv + skip);
        if (o.help) return help(argv[1]);
        o.file = file;
        if (ranks > 1 && !(commands[i].of & (TRAIN | SAMPLE | POSTERIOR)))
            die(2, "%s: one process is enough: train, sample and posterior take several", argv[1]);
        if (ranks > 1 && !is_given("accumulate")) o.accumulate = ranks;
        int status = commands[i].run(&o);
        ranks_end();
        return status;
    }
    die(2, "'%s': no such command; expected train, sample, noise, data, eval, certify, orders, "
           "posterior, calibrate, bridge, tune, loglik, vectors, conform, judge, info, convert, "
           "version or help", argv[1]);
}
