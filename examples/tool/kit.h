/* kit.h -- a kit is all that sampling needs, in memory and in one .safetensors file. */
#ifndef KIT_H
#define KIT_H
#include "dataset.h"

/* --- Networks that are told of observations: --condition, --base --- */

static inline double condition_value(const kit *k, const char *name)
{
    const row *r = &t_condition.rows[k->condition.row];
    for (int i = 0; i < keys_of(r); i++)
        if (!strcmp(r->keys[i].name, name)) return k->condition.v[i];
    return 0;
}

static inline int condition_moves(const kit *k) { return condition_value(k, "move") > 0; }

/* condition_obs -- what is observed of function i; places are those of fd calibrate --observe with
 * the same seed, where they do not move. */
static inline fd_obs condition_obs(fd_arena *a, const kit *k, uint32_t i)
{
    const fd_space *s = &k->s;
    const spec *v = &k->condition;
    fd_rng r = fd_stream(fd_seed(k->places), 'o', condition_moves(k) ? i + 1 : 0);
    ptrdiff_t n = v->row == CONDITION_POINTS ? (ptrdiff_t)v->v[0] * s->nd : s->points;
    fd_real *u = fd_raw(a, fd_real, n);
    fd_obs o;
    need(a->st);
    fd_uniform(r, n, u);
    if (v->row == CONDITION_POINTS) {
        double *at = fd_raw(a, double, n);
        need(a->st);
        for (ptrdiff_t j = 0; j < n; j++) at[j] = (double)u[j] * s->len[j % s->nd];
        o = fd_obs_points(a, s, (int)v->v[0], at, NULL);
    } else if (v->row == CONDITION_COARSE) {
        int g[3] = { (int)v->v[0], (int)v->v[0], (int)v->v[0] };
        fd_space coarse = fd_grid(a, s->nd, g, s->len, s->bc, s->ch);
        o = fd_obs_coarse(a, s, &coarse);
    } else if (v->row == CONDITION_BLUR) {
        double *mul = fd_raw(a, double, s->modes);
        need(a->st);
        fd_laplace(s, mul, *a);
        for (ptrdiff_t j = 0; j < s->modes; j++) mul[j] = exp(-.5 * v->v[0] * v->v[0] * mul[j]);
        o = fd_obs_modal(a, s, mul);
    } else {                                           /* all channels of a pixel; one at least */
        ptrdiff_t *at = fd_raw(a, ptrdiff_t, s->ch * n);
        int m = 0;
        need(a->st);
        for (ptrdiff_t j = 0; j < n; j++) if ((double)u[j] < v->v[0]) at[m++] = j;
        if (!m) at[m++] = fd_index(fd_stream(r, 'i', 0), 0, (int)n);
        for (int j = m; j < m * s->ch; j++) at[j] = at[j - m] + n;
        o = fd_obs_pick(a, s, m * s->ch, at);
    }
    const double noise = condition_value(k, "noise"), *scale = k->norm.scale;
    /* channel by channel */
    if (s->ch > 1 && noise > 0 && !o.mul && v->row != CONDITION_POINTS) {
        double *sd = fd_raw(a, double, o.m);
        for (int j = 0; sd && j < o.m; j++) sd[j] = noise * fabs(scale[j / (o.m / s->ch)]);
        fd_obs_noise_each(a, &o, sd);
    } else fd_obs_noise(a, &o, noise * fabs(scale[0]));
    need(a->st);
    return o;
}

static inline int condition_sees(const kit *k)
{
    static const struct { const char *name; int sees; } sees[] = {
        { "values", FD_SEES_VALUES }, { "posterior", FD_SEES_POSTERIOR },
        { "denoised", FD_SEES_DENOISED }, { "both", FD_SEES_POSTERIOR + FD_SEES_DENOISED },
        { "slope", FD_SEES_POSTERIOR + FD_SEES_SLOPE } };
    const row *r = &t_condition.rows[k->condition.row];
    int last = keys_of(r) - 1, i = 0;
    char word[32];
    choice_word(&r->keys[last], (int)k->condition.v[last], word);
    while (strcmp(sees[i].name, word)) i++;
    return sees[i].sees;
}

/* condition_inputs -- channels that the network sees, for each of a function. */
static inline int condition_inputs(const kit *k)
{
    const fd_cov one = { .s = { .ch = 1 } };
    const fd_process p = { .noise = &one };
    return fd_amortised_inputs(&(fd_condition){ .p = &p, .sees = condition_sees(k) });
}

static inline shape shape_of(const fd_space *s)
{
    return (shape){ s->nd, { s->n[0], s->n[1], s->n[2] } };
}

/* condition_close -- how the network is told, and the model: without observations where it was
 * trained so, too, else none. */
static inline const kit *kit_on(fd_arena *a, const kit *k, shape g);
static inline void condition_close(fd_arena *a, kit *k)
{
    fd_net *net = k->opt ? fd_net_with(a, k->net, k->opt->avg) : k->net;
    k->how = (fd_condition){ .p = &k->learned, .base = FD_BASE_MODEL, .predicts = k->predict.row,
                             .sees = condition_sees(k), .mean = k->mean, .c0 = k->c0 };
    if (!strcmp(k->base, "gauss")) k->how.base = FD_BASE_GAUSS;
    else if (k->precond.row) k->how.base = FD_BASE_NONE;
    else if (!k->frozen) k->how.model = fd_oracle_gauss(a, &k->learned, k->mean, k->c0);
    else k->how.model = kit_on(a, k->frozen, shape_of(&k->s))->model;
    k->raw = fd_net_raw(a, net);
    k->model = (fd_model){ 0 };
    k->told = NULL;
    if (a->st->code) return;
    if (!condition_moves(k)) {
        k->o = condition_obs(a, k, 0);
        k->told = fd_amortised_new(a, &k->how, &k->o);
        spec_need(a->st, "condition");
    }
    k->alone = fd_amortised_new(a, &k->how, NULL);
    if (condition_value(k, "drop") > 0) k->model = fd_amortised_model(a, k->alone, NULL, k->raw);
}

/* condition_none -- die where a network without observations is wanted and there is none. */
static inline void condition_none(const kit *k, const char *path)
{
    if (k->between.t)
        die(2, "--model: %s goes from functions to functions: fd bridge --model %s --from FILE",
            path, path);
    if (!k->model.eval)
        die(2, "--model: %s draws functions given observations alone: fd posterior --method "
            "amortised (or train it with --condition ..,drop=0.1)", path);
}

/* --- Networks that go from functions to functions: --pairs --- */

static inline int pairs_told(const kit *k)
{
    return k->between.v[keys_of(&t_between.rows[k->between.row]) - 1] > 0;
}

/* pairs_eval -- what the network says of b functions: the end, or the velocity, told of their
 * starts. */
typedef struct { const kit *k; const fd_real *start; } pairs_from;
static inline void pairs_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                              const double *t, fd_real *y, fd_arena scratch)
{
    const pairs_from *p = self;
    const ptrdiff_t size = fd_size(s);
    const int told = pairs_told(p->k);
    fd_space wide = *s;
    wide.ch *= 1 + told;
    fd_real *in = fd_raw(&scratch, fd_real, b * fd_size(&wide));
    for (int i = 0; in && i < b; i++) {
        memcpy(in + i * (1 + told) * size, x + i * size, (size_t)size * sizeof *in);
        if (told) memcpy(in + (2 * i + 1) * size, p->start + i * size, (size_t)size * sizeof *in);
    }
    if (in) p->k->raw.eval(p->k->raw.self, &wide, b, in, t, y, scratch);
}

static inline void pairs_close(fd_arena *a, kit *k)
{
    const double *v = k->between.v;
    k->raw = fd_net_raw(a, k->opt ? fd_net_with(a, k->net, k->opt->avg) : k->net);
    k->model = (fd_model){ 0 };
    if (k->between.row) k->mid = (fd_interpolant){ .noise = k->noise, .g = v[0] };
    else k->line = fd_linear_heat(a, k->noise, v[0], v[1], 1);
}

/* kit_told -- the model of other weights, told a label, -1: none. */
static inline fd_model kit_told(fd_arena *a, const kit *k, fd_real *w, int label)
{
    fd_model m = fd_net_labelled(a, w == k->net->w ? k->net : fd_net_with(a, k->net, w),
                                 k->precond.row ? k->predict.row : FD_X0, label);
    return k->pre ? fd_precond_model(a, k->pre, m) : m;
}

static inline fd_model kit_model(fd_arena *a, const kit *k, fd_real *w)
{
    return kit_told(a, k, w, -1);
}

/* kit_guided -- the model of a label, D + w (D - D of none) [CFG]. */
static inline fd_model kit_guided(fd_arena *a, const kit *k, int label, double w)
{
    fd_real *avg = k->opt ? k->opt->avg : k->net->w;
    fd_model c = kit_told(a, k, avg, label);
    return w == 0 ? c : fd_free_guided(a, &k->p, c, kit_told(a, k, avg, -1), 1 + w);
}

/* kit_close -- process and model of a kit that has all the rest; first: the grid of training. */
static inline void kit_close(fd_arena *a, kit *k, const fd_space *first)
{
    fd_cov *was = k->cov.row < COV_PIXEL ? k->noise
                                         : cov_again(a, &k->s, &k->cov, k->noise, first->points);
    k->p = process_build(a, k->noise, &k->process, 0);
    k->learned = process_build(a, was, &k->process, first->n[0]);
    if (k->between.t) { pairs_close(a, k); return; }
    if (!k->precond.row) k->pre = fd_precond_new(a, &k->learned, k->mean, k->c0);
    if (k->condition.t) { condition_close(a, k); return; }
    k->model = kit_model(a, k, k->opt ? k->opt->avg : k->net->w);
    if (k->from)
        k->model = fd_policy_model(a, &k->learned, kit_model(a, k, k->from), k->model, .5);
}

enum { LAW_LEAST = FD_T_LEVELS + 1 };

/* pairs_split -- --pairs A:B: A is returned, B becomes --data. A name may be file:member, and then
 * both are. */
static inline char *pairs_split(fd_arena *a, args *o)
{
    static const char *const no[] = { "data", "condition", "predict", "precond", "process",
                                      "weight", "norm", "time-law", "by-mode", "png", "flip",
                                      "base" };
    if (!o->pairs) {
        if (is_given("between") || is_given("couple"))
            die(2, "--%s: has no meaning without --pairs",
                is_given("couple") ? "couple" : "between");
        return NULL;
    }
    for (int i = 0; i < COUNT(no); i++)
        if (is_given(no[i])) die(2, "--%s: not with --pairs", no[i]);
    const char *at[4];
    int colons = 0;
    for (const char *p = o->pairs; (p = strchr(p, ':')) != NULL; p++)
        if (colons++ < 4) at[colons - 1] = p;
    if (colons != 1 && colons != 3)
        die(2, "--pairs: '%s': wants two files, A:B, or two members, A:name:B:name", o->pairs);
    const char *split = at[colons / 2];
    char *start = fd_new(a, char, split - o->pairs + 1);
    need(a->st);
    memcpy(start, o->pairs, (size_t)(split - o->pairs));
    if (!*start || !split[1]) die(2, "--pairs: '%s': wants two files, A:B", o->pairs);
    o->data = split + 1;
    if (!is_given("cov")) o->cov = spec_read(&t_cov, "", "matern:nu=1,l=0.1,var=0.3");
    return start;
}

/* settings_check -- of training, once the process is known. */
static inline void settings_check(const kit *k, const args *o)
{
    if (ranks > 1 && k->net->count > INT_MAX)
        die(2, "--net: more than %d weights are for one process", INT_MAX);
    if (o->accumulate % ranks)
        die(2, "--accumulate: %d processes do not divide %d parts: --accumulate %d", ranks,
            o->accumulate, ranks);
    if (o->batch % o->accumulate && ranks > 1 && !is_given("accumulate"))
        die(2, "--batch: %d processes do not divide the batch of %d", ranks, o->batch);
    if (o->batch % o->accumulate)
        die(2, "--accumulate: %d does not divide the batch of %d", o->accumulate, o->batch);
    if (o->law.row == FD_T_LOG && !(k->p.tmin > 0) && k->process.row != PROCESS_DDPM)
        die(2, "--time-law: log needs times above 0: --process %s:tmin=...",
            k->process.t->rows[k->process.row].name);
    if (is_given("weight") && !k->precond.row)
        die(2, "--weight: has no meaning with --precond gauss");
    int chain = k->process.row == PROCESS_DDPM || k->process.row == PROCESS_LADDER;
    /* it fixes the weight of each time, too */
    int whole = o->norm.row >= FD_NORM_LIKELIHOOD;
    if ((o->law.row == FD_T_LEVELS || o->norm.row == FD_NORM_STEP) && !chain)
        die(2, "--%s: %s is for --process ddpm and ladder",
            o->law.row == FD_T_LEVELS ? "time-law" : "norm",
            o->law.row == FD_T_LEVELS ? "levels" : "step");
    if (whole && o->weight.row)
        die(2, "--weight: --norm %s has its own", t_norm.rows[o->norm.row].name);
    if (o->weight.row && k->predict.row > FD_VELOCITY)
        die(2, "--weight: not with --predict %s: --norm", t_predict.rows[k->predict.row].name);
    if (k->condition.t && (whole || o->law.row == LAW_LEAST))
        die(2, "--%s: not with --condition", whole ? "norm" : "time-law");
    if (o->law.row == LAW_LEAST && (o->weight.row || (!k->precond.row && !whole)))
        die(2, "--time-law: least goes by --norm alone, with --precond none or --norm likelihood, "
            "step");
}

/* kit_new -- frozen: the model that --base names, whose noise and process are taken, or NULL. */
static inline kit *kit_new(fd_arena *a, const args *o, const dataset *d, const kit *frozen)
{
    kit *k = fd_new(a, kit, 1);
    if (!k) return NULL;
    k->cov = frozen ? frozen->cov : o->cov;
    k->process = frozen ? frozen->process : o->process;
    k->predict = o->predict;
    k->precond = o->precond;
    if (is_given("predict") && !is_given("precond")) k->precond = spec_read(&t_precond, "", "none");
    if (is_given("predict") && !k->precond.row)
        die(2, "--predict: has no meaning with --precond gauss");
    k->axes = d->axes;
    k->norm = d->norm;
    k->s = d->s;
    k->condition = o->condition;
    k->base = o->base;
    k->places = o->seed;
    k->frozen = frozen;
    if (o->pairs) {
        k->between = o->between, k->couple = o->couple;
        k->precond = spec_read(&t_precond, "", "none");
    }
    k->noise = frozen ? frozen->noise : cov_build(a, &k->s, &o->cov, d, 0);
    spec_need(a->st, "cov");
    k->mean = fd_raw(a, fd_real, fd_size(&k->s));
    k->c0 = fd_cov_spectrum(a, &k->s, d->var, k->precond.v[0]);
    need(a->st);
    fd_cov_pow(k->noise, 0, 1, d->mean, k->mean, *a);        /* as batch_draw does with the data */
    for (ptrdiff_t i = 0; i < k->s.modes; i++) {                 /* as they will be in the file */
        k->c0->lam[i] = k->noise->lam[i] > 0 ? (double)(fd_real)k->c0->lam[i] : 0;
        if (k->cov.row == COV_EMPIRICAL) k->noise->lam[i] = (double)(fd_real)k->noise->lam[i];
    }
    fd_arch arch = arch_build(&o->net, &k->s);
    if (d->label) arch.labels = d->labels;
    k->drop = o->drop;
    if (k->condition.t) arch.in *= condition_inputs(k);
    if (k->between.t) arch.in *= 1 + pairs_told(k);
    const double *rule = o->optimizer.v;
    fd_adam how = { .lr = o->lr, .lr_end = o->lr_end, .decay = o->decay, .clip = o->clip,
                    .clip_each = o->clip_each, .rule = o->optimizer.row, .beta1 = rule[0],
                    .beta2 = rule[1], .eps = rule[2], .ema = o->ema,
                    .warmup = o->warmup, .steps = o->steps };
    k->net = net_build(a, &arch, fd_stream(fd_seed(o->seed), 'w', 0));
    k->opt = fd_opt_new(a, k->net, &how);
    kit_close(a, k, &k->s);
    need(a->st);
    settings_check(k, o);
    if (!(fd_cov_trace(k->noise) > 0)) die(2, "--cov: this noise has no variance on this grid");
    if (!k->precond.row && !(fd_cov_trace(k->c0) > 0))
        die(1, "%s: the functions are all the same on the modes that carry noise", o->data);
    return k;
}

/* kit_tensors -- what a file holds beside the network; how many. */
enum { KIT_TENSORS = 6 };
static inline int kit_tensors(fd_arena *a, const kit *k, fd_tensor t[KIT_TENSORS])
{
    const fd_cov *c[2] = { k->c0, k->cov.row == COV_EMPIRICAL ? k->noise : NULL };
    int tensors = 1;
    t[0] = (fd_tensor){ "data.mean", 1, { (int)fd_size(&k->s) }, k->mean, NULL };
    if (k->norm.center) {
        t[tensors] = t[0];
        t[tensors].name = "data.center";
        t[tensors++].x = k->norm.center;
    }
    if (k->between.t && k->norm0.center) {
        t[tensors] = t[0];
        t[tensors].name = "start.center";
        t[tensors++].x = k->norm0.center;
    }
    if (k->from)
        t[tensors++] = (fd_tensor){ "tuned.from", 1, { (int)k->net->count }, k->from, NULL };
    for (int i = 0; i < 2 && c[i]; i++, tensors++) {
        fd_tensor *v = &t[tensors];
        v->name = i ? "noise.spectrum" : "data.spectrum";
        v->nd = 1;
        v->n[0] = (int)k->s.modes;
        v->x = fd_raw(a, fd_real, k->s.modes);
        for (ptrdiff_t j = 0; v->x && j < k->s.modes; j++) v->x[j] = (fd_real)c[i]->lam[j];
    }
    return tensors;
}

/* kit_save -- the network with its optimiser; how it was trained, as metadata. */
static inline void kit_save(fd_status *st, const char *path, const kit *k, const args *o,
                            fd_arena scratch)
{
    char text[13][512], nums[10][64], list[4][26 * CHANNELS];
    fd_tensor t[KIT_TENSORS];
    int tensors = kit_tensors(&scratch, k, t);
    grid_text(&k->s, text[7]);
    for (int i = 0; i < 4; i++) {
        const normal *v = i < 2 ? &k->norm : &k->norm0;
        for (int j = 0, at = 0; j < k->s.ch; j++)
            at += sprintf(list[i] + at, "%s%.17g", j ? "," : "", i % 2 ? v->shift[j] : v->scale[j]);
    }
    text[6][0] = 0;
    for (int i = 0; i < k->s.nd; i++)
        strcat(strcat(text[6], i ? "," : ""), t_boundary.rows[k->s.bc[i]].name);
    sprintf(nums[0], "%d", k->axes > AXES_NONE ? k->s.ch : 0);
    sprintf(nums[1], "%d", k->norm.bytes);
    sprintf(nums[3], "%" PRIu64, o->seed);
    sprintf(nums[4], "%d", o->batch);
    sprintf(nums[5], "%d", o->limit);
    sprintf(nums[6], "%d", o->accumulate);
    sprintf(nums[8], "%" PRIu64, k->places);
    sprintf(nums[9], "%d", k->norm0.bytes);
    fd_meta meta[] = {
        { "kit.grid", text[7] }, { "kit.boundary", text[6] }, { "kit.channels", nums[0] },
        { "kit.axes", t_axes.rows[k->axes].name }, { "kit.bytes", nums[1] },
        { "kit.normalize", t_normalize.rows[k->norm.kind].name },
        { "kit.scale", list[0] }, { "kit.shift", list[1] },
        { "kit.cov", spec_text(&k->cov, text[0]) },
        { "kit.process", spec_text(&k->process, text[1]) },
        { "kit.predict", spec_text(&k->predict, text[2]) },
        { "kit.precond", spec_text(&k->precond, text[3]) },
        { "kit.weight", spec_text(&o->weight, text[4]) },
        { "kit.time-law", spec_text(&o->law, text[5]) },
        { "kit.seed", nums[3] }, { "kit.batch", nums[4] }, { "kit.limit", nums[5] },
        { "kit.accumulate", nums[6] }, { "kit.norm", spec_text(&o->norm, text[8]) },
        { "kit.flip", spec_text(&o->flip, text[9]) }, { "kit.data", o->data ? o->data : "" },
        { "kit.build", fd_build() },
        { "kit.condition", k->condition.t ? spec_text(&k->condition, text[10]) : "" },
        { "kit.base", k->base }, { "kit.places", nums[8] },
        { "start.axes", t_axes.rows[k->axes0].name }, { "start.bytes", nums[9] },
        { "start.scale", list[2] }, { "start.shift", list[3] },
        { "kit.between", k->between.t ? spec_text(&k->between, text[11]) : "" },
        { "kit.couple", k->between.t ? spec_text(&k->couple, text[12]) : "" } };
    int metas = COUNT(meta) - (k->between.t ? 0 : k->condition.t ? 6 : 9);
    if (k->between.t)                                    /* without kit.condition, base, places */
        memmove(meta + metas - 9, meta + metas - 6, 6 * sizeof *meta), metas -= 3;
    if (k->net->arch.labels) {                 /* there is room: no --condition, no --pairs */
        sprintf(nums[2], "%.17g", k->drop);
        meta[metas++] = (fd_meta){ "kit.labels", o->labels ? o->labels : "" };
        meta[metas++] = (fd_meta){ "kit.drop", nums[2] };
    }
    fd_tensors more = { tensors, metas, t, meta, 0, NULL };
    fd_net_save(st, path, k->net, k->opt, &more, scratch);
}

static inline const char *meta_need(const fd_tensors *f, const char *path, const char *name)
{
    const char *s = fd_meta_find(f, name);
    if (!s) die(1, "%s: no model of fd train: it has no %s", path, name);
    return s;
}

static inline double meta_number(const fd_tensors *f, const char *path, const char *name, double lo,
                                 double hi)
{
    double v;
    if (!number(meta_need(f, path, name), lo, hi, &v))
        die(1, "%s: %s: '%s': expected a number from %g to %g", path, name, fd_meta_find(f, name),
            lo, hi);
    return v;
}

/* meta_list -- n numbers between commas; one alone is all of them. */
static inline void meta_list(const fd_tensors *f, const char *path, const char *name, double lo,
                             double hi, int n, double *v)
{
    const char *p = meta_need(f, path, name);
    int k = 0;
    for (char one[64]; k < n; k++) {
        size_t len = strcspn(p, ",");
        snprintf(one, sizeof one, "%.*s", len < sizeof one ? (int)len : 0, p);
        if (!number(one, lo, hi, &v[k])) break;
        p += len;
        if (!*p++) { k++; break; }
    }
    if ((k != n && k != 1) || p[-1])
        die(1, "%s: %s: expected a number for each of %d channels, from %g to %g", path, name, n,
            lo, hi);
    for (int i = k; i < n; i++) v[i] = v[0];
}

/* meta_flag -- where a setting stands, as messages say it; flag: room for 256. */
static inline const char *meta_flag(char flag[256], const char *path, const char *name)
{
    snprintf(flag, 256, "%.200s: %s", path, name);
    return flag;
}

static inline spec meta_spec(const fd_tensors *f, const char *path, const char *name,
                             const topic *t)
{
    char flag[256];
    return spec_read(t, meta_flag(flag, path, name), meta_need(f, path, name));
}

/* meta_row -- the row of a topic that is named there; models of before have not all: other. */
static inline int meta_row(const fd_tensors *f, const char *path, const char *name, const topic *t,
                           int other)
{
    return fd_meta_find(f, name) ? meta_spec(f, path, name, t).row : other;
}

/* tensor_need -- the numbers of a tensor that has n of them. */
static inline fd_real *tensor_need(const fd_tensors *f, const char *path, const char *name,
                                   ptrdiff_t n)
{
    const fd_tensor *t = fd_tensor_find(f, name);
    if (!t || t->nd != 1 || t->n[0] != n)
        die(1, "%s: %s is missing or has not %ld numbers", path, name, (long)n);
    for (ptrdiff_t i = 0; i < n; i++)
        if (!(fabs((double)t->x[i]) <= 1e30)) die(1, "%s: %s holds NaN or infinity", path, name);
    return t->x;
}

static inline kit *kit_load(fd_arena *a, const char *path, args *o);

/* base_load -- the model that --base names, for k's grid. */
static inline const kit *base_load(fd_arena *a, const char *base, const fd_space *s,
                                   const char *where)
{
    static int inside;
    if (inside++) die(1, "%s: a base of a base: it is trained with --condition itself", where);
    const kit *k = kit_load(a, base, NULL);
    if (k->condition.t) die(bad, "%s: %s is trained with --condition itself", where, base);
    if (k->between.t) die(bad, "%s: %s goes from functions to functions: no denoiser", where, base);
    int other = s && (k->s.nd != s->nd || k->s.ch != s->ch);
    for (int i = 0; s && i < s->nd && !other; i++) other = k->s.bc[i] != s->bc[i];
    if (other) die(bad, "%s: %s is for other axes, channels or boundaries", where, base);
    inside = 0;
    return k;
}

static inline void condition_load(fd_arena *a, kit *k, const char *path, const fd_tensors *f)
{
    char flag[256];
    if (!fd_meta_find(f, "kit.condition")) return;
    bad = 1;
    k->condition = meta_spec(f, path, "kit.condition", &t_condition);
    k->places = seed_read(meta_flag(flag, path, "kit.places"), meta_need(f, path, "kit.places"));
    k->base = meta_need(f, path, "kit.base");
    if (strcmp(k->base, "none") && strcmp(k->base, "gauss"))
        k->frozen = base_load(a, k->base, &k->s, meta_flag(flag, path, "kit.base"));
    if (k->precond.row && strcmp(k->base, "none"))
        die(1, "%s: kit.base: it goes with kit.precond gauss alone", path);
    bad = 2;
}

static inline void pairs_load(kit *k, const char *path, const fd_tensors *f)
{
    if (!fd_meta_find(f, "kit.between")) return;
    bad = 1;
    k->between = meta_spec(f, path, "kit.between", &t_between);
    k->couple = meta_spec(f, path, "kit.couple", &t_couple);
    if (k->condition.t || !k->precond.row)
        die(1, "%s: kit.couple: it does not go with kit.condition and kit.precond gauss", path);
    k->axes0 = meta_row(f, path, "start.axes", &t_axes, k->axes);
    k->norm0.kind = k->norm.kind;
    k->norm0.bytes = (int)meta_number(f, path, "start.bytes", 0, 1);
    bad = 2;
    if (!k->axes0 || (k->axes0 > AXES_NONE) != (k->axes > AXES_NONE))
        die(1, "%s: start.axes cannot be", path);
    meta_list(f, path, "start.scale", 1e-300, 1e300, k->s.ch, k->norm0.scale);
    meta_list(f, path, "start.shift", -1e300, 1e300, k->s.ch, k->norm0.shift);
    if (k->norm.kind == NORMALIZE_PIXEL)
        k->norm0.center = tensor_need(f, path, "start.center", fd_size(&k->s));
}

/* kit_specs -- what a file says as flags would: of the model to k, of its training to o. */
static inline void kit_specs(const fd_tensors *f, const char *path, kit *k, args *o)
{
    static const struct { const char *name; const topic *t; size_t kit, args; } specs[] = {
        { "cov", &t_cov, offsetof(kit, cov), 0 },
        { "process", &t_process, offsetof(kit, process), 0 },
        { "predict", &t_predict, offsetof(kit, predict), 0 },
        { "precond", &t_precond, offsetof(kit, precond), 0 },
        { "weight", &t_weight, 0, AT(weight) },
        { "norm", &t_norm, 0, AT(norm) },
        { "flip", &t_flip, 0, AT(flip) },
        { "time-law", &t_law, 0, AT(law) } };
    for (int i = 0; i < COUNT(specs); i++) {
        char name[32];
        snprintf(name, sizeof name, "kit.%s", specs[i].name);
        spec v = meta_spec(f, path, name, specs[i].t);
        if (!specs[i].args) *(spec *)(void *)((char *)k + specs[i].kit) = v;
        else if (o && !is_given(specs[i].name)) *(spec *)(void *)((char *)o + specs[i].args) = v;
    }
}

/* kit_load -- o NULL, or where to put the settings of its training that no flag has given. */
static inline kit *kit_load(fd_arena *a, const char *path, args *o)
{
    kit *k = fd_new(a, kit, 1);
    if (!k) return NULL;
    fd_tensors f = fd_net_load(a, path, &k->net, &k->opt);
    need(a->st);
    char flag[256];
    int bc[3];
    bad = 1;
    kit_specs(&f, path, k, o);
    shape g = grid_read(meta_flag(flag, path, "kit.grid"), meta_need(&f, path, "kit.grid"));
    boundary_read(meta_flag(flag, path, "kit.boundary"), meta_need(&f, path, "kit.boundary"), bc);
    if (o && !is_given("seed"))
        o->seed = seed_read(meta_flag(flag, path, "kit.seed"), meta_need(&f, path, "kit.seed"));
    int ch = (int)meta_number(&f, path, "kit.channels", 0, CHANNELS);
    k->axes = meta_row(&f, path, "kit.axes", &t_axes, ch ? AXES_FIRST : AXES_NONE);
    k->norm.kind = meta_row(&f, path, "kit.normalize", &t_normalize, NORMALIZE_NONE);
    bad = 2;
    if (!k->axes || (k->axes > AXES_NONE) != (ch > 0) || !k->norm.kind)
        die(1, "%s: kit.channels, kit.axes or kit.normalize cannot be", path);
    if (!ch) ch = 1;
    meta_list(&f, path, "kit.scale", 1e-300, 1e300, ch, k->norm.scale);
    meta_list(&f, path, "kit.shift", -1e300, 1e300, ch, k->norm.shift);
    k->norm.bytes = fd_meta_find(&f, "kit.bytes") ? (int)meta_number(&f, path, "kit.bytes", 0, 1)
                                                  : k->norm.scale[0] != 1;
    if (o && !is_given("limit")) o->limit = (int)meta_number(&f, path, "kit.limit", 0, INT_MAX);
    if (o && !is_given("batch")) o->batch = (int)meta_number(&f, path, "kit.batch", 1, 1e6);
    if (o && !is_given("accumulate"))
        o->accumulate = (int)meta_number(&f, path, "kit.accumulate", 1, 1e6);
    if (k->net->arch.labels) {
        k->drop = o && is_given("drop") ? o->drop : meta_number(&f, path, "kit.drop", 0, 1);
        if (o && !is_given("labels")) o->labels = meta_need(&f, path, "kit.labels");
    }
    k->s = fd_grid(a, g.nd, g.n, NULL, bc, ch);
    need(a->st);
    condition_load(a, k, path, &f);
    pairs_load(k, path, &f);
    int in = k->s.ch * (k->condition.t ? condition_inputs(k) : k->between.t ? 1 + pairs_told(k)
                        : 1);
    if (k->net->arch.nd != g.nd || k->net->arch.in != in || k->net->arch.out != k->s.ch)
        die(1, "%s: the network does not fit kit.grid and kit.channels", path);
    k->mean = tensor_need(&f, path, "data.mean", fd_size(&k->s));
    if (k->norm.kind == NORMALIZE_PIXEL)
        k->norm.center = tensor_need(&f, path, "data.center", fd_size(&k->s));
    if (fd_tensor_find(&f, "tuned.from"))
        k->from = tensor_need(&f, path, "tuned.from", k->net->count);
    k->c0 = cov_table(a, &k->s, tensor_need(&f, path, "data.spectrum", k->s.modes));
    k->noise = k->cov.row == COV_EMPIRICAL
        ? cov_table(a, &k->s, tensor_need(&f, path, "noise.spectrum", k->s.modes))
        : cov_build(a, &k->s, &k->cov, NULL, 0);
    kit_close(a, k, &k->s);
    need(a->st);
    return k;
}

/* kit_on -- the same model on another grid. */
static inline const kit *kit_on(fd_arena *a, const kit *k, shape g)
{
    if (!g.nd || (g.nd == k->s.nd && !memcmp(g.n, k->s.n, sizeof g.n))) return k;
    if (g.nd != k->s.nd) die(2, "--grid: %d axes, but the model has %d", g.nd, k->s.nd);
    kit *r = fd_new(a, kit, 1);
    need(a->st);
    *r = *k;
    r->s = fd_grid(a, g.nd, g.n, NULL, k->s.bc, k->s.ch);
    r->noise = cov_again(a, &r->s, &k->cov, k->noise, 0);
    r->c0 = fd_cov_on(a, k->c0, &r->s);
    r->mean = fd_raw(a, fd_real, fd_size(&r->s));
    if (r->mean) fd_resample(&k->s, &r->s, 1, k->mean, r->mean, *a);
    if (k->norm.center) r->norm.center = fd_raw(a, fd_real, fd_size(&r->s));
    if (k->norm.center) fd_resample(&k->s, &r->s, 1, k->norm.center, r->norm.center, *a);
    if (k->norm0.center) r->norm0.center = fd_raw(a, fd_real, fd_size(&r->s));
    if (k->norm0.center) fd_resample(&k->s, &r->s, 1, k->norm0.center, r->norm0.center, *a);
    kit_close(a, r, &k->s);
    need(a->st);
    return r;
}

#endif
