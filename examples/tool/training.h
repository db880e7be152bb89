/* training.h -- a network of a kit is trained on a dataset, and goes on where it was stopped. */
#ifndef TRAINING_H
#define TRAINING_H
#include "kit.h"

static volatile sig_atomic_t stopped;      /* the signal that asked to stop */
static inline void on_signal(int sig) { stopped = sig; signal(sig, SIG_DFL); }

/* The course of the loss: at most CURVE rows, each the mean over `every` steps. */
enum { CURVE = 1024, CURVE_COLS = 5 };
static const char *const curve_name[CURVE_COLS] = { "step", "loss", "gradient", "rate", "seconds" };
typedef struct { int rows, every, part; double x[CURVE][CURVE_COLS]; } curve;

static inline void curve_add(curve *c, const double v[CURVE_COLS])
{
    if (c->rows == CURVE && !c->part) {                /* full: join neighbours */
        for (int i = 0; i < CURVE / 2; i++)
            for (int j = 0; j < CURVE_COLS; j++)
                c->x[i][j] = (c->x[2 * i][j] + c->x[2 * i + 1][j]) / 2;
        c->rows = CURVE / 2;
        c->every *= 2;
    }
    if (!c->every) c->every = 1;
    if (!c->part) memset(c->x[c->rows++], 0, sizeof c->x[0]);
    for (int j = 0; j < CURVE_COLS; j++) {
        double *x = &c->x[c->rows - 1][j];
        *x = (*x * c->part + v[j]) / (c->part + 1);
    }
    c->part = (c->part + 1) % c->every;
}

/* One of --accumulate parts of a batch: what the network sees and should say, in, y
 * [b][ch][points]; times and weights [b]. */
typedef struct {
    fd_real *x0, *xt, *eps, *in, *y;
    double *t, *w;
    int *perm, *which, epoch;                          /* which functions */
    int *label;                                        /* what is told of them, or NULL */
    const fd_time_law *law;                            /* --time-law least, or NULL */
    fd_real *grad, *room;                              /* of one of several parts; for ranks_add */
} batch;

/* mirror -- function x of one channel or more along an axis. */
static inline void mirror(const fd_space *s, int axis, fd_real *x)
{
    ptrdiff_t in = 1, n = s->n[axis];
    for (int i = axis + 1; i < s->nd; i++) in *= s->n[i];
    for (ptrdiff_t at = 0; at < fd_size(s); at += n * in)
        for (ptrdiff_t i = 0; i < n / 2; i++)
            for (ptrdiff_t j = 0; j < in; j++) {
                fd_real *p = x + at + i * in + j, *q = x + at + (n - 1 - i) * in + j, v = *p;
                *p = *q;
                *q = v;
            }
}

/* condition_pairs -- in and y of the batch, of functions that are observed; one at a time where
 * each is observed in its own way. floor [b][2], where not NULL: |says - y|^2 of the best denoiser
 * for Gaussian data, its mean and what it is for this pair. */
static inline void condition_pairs(batch *q, const kit *k, const args *o, int step, int part,
                                   double *floor, fd_arena a)
{
    const ptrdiff_t size = fd_size(&k->s), seen = k->net->arch.in * k->s.points;
    const double drop = condition_value(k, "drop");
    const fd_rng seed = fd_seed(o->seed);
    const int b = o->batch / o->accumulate, from = part * b;
    const int some = k->told && !(drop > 0) && !floor ? b : 1;
    for (int i = 0; i < b && !a.st->code; i += some) {
        fd_arena own = a;
        const uint32_t at = (uint32_t)step * (uint32_t)o->batch + (uint32_t)(from + i);
        const fd_real *x0 = q->x0 + i * size, *xt = q->xt + i * size;
        fd_real u = 1;
        fd_obs eye = k->o;
        const fd_amortised *w = k->told;
        if (drop > 0) fd_uniform(fd_stream(seed, 'd', at), 1, &u);
        if ((double)u < drop) w = k->alone;
        else if (!w) {
            eye = condition_obs(&own, k, at);
            w = fd_amortised_new(&own, &k->how, &eye);
        }
        double *y = fd_raw(&own, double, (ptrdiff_t)some * eye.m);
        if (w != k->alone)
            fd_obs_draw(&eye, fd_stream(seed, 'y', (uint32_t)step), from + i, some, x0, y, own);
        fd_amortised_pair(w, some, y, x0, q->eps + i * size, xt, q->t + i, q->in + i * seen,
                          q->y + i * size, NULL, own);
        if (!floor) continue;
        fd_condition least = k->how;                       /* F = 0 on the Gaussian base */
        double cin, scale, best = 0, as_x0 = 1;
        least.base = FD_BASE_GAUSS, least.sees = 0;
        fd_amortised *g = fd_amortised_new(&own, &least, w == k->alone ? NULL : &eye);
        fd_real *none = fd_raw(&own, fd_real, 2 * size), *off = none + size;
        need(own.st);
        fd_amortised_scale(w, q->t[i], &cin, &scale, own);
        fd_amortised_pair(g, 1, y, x0, NULL, xt, q->t + i, none, off, &best, own);
        if (k->how.base == FD_BASE_NONE)
            as_x0 = fd_time_weight(&k->p, FD_W_X0, k->predict.row, q->t[i], a.st);
        floor[2 * i] = best * best / (scale * scale * as_x0) * k->s.ch;
        floor[2 * i + 1] = best * best / (scale * scale * as_x0) * fd_inner(&k->s, off, off);
    }
}

/* pairs_draw -- in and y of a batch of ends x0: starts, as --couple says, and a state between at
 * the times t. near: those starts of the part in the order that is nearest to the ends. */
static inline void pairs_draw(batch *q, const kit *k, const args *o, int step, int part, fd_arena a)
{
    const fd_rng seed = fd_seed(o->seed);
    const int b = o->batch / o->accumulate, from = part * b;
    const ptrdiff_t size = fd_size(&k->s), seen = k->net->arch.in * k->s.points;
    const int told = pairs_told(k), near = k->couple.row == 2;
    const dataset *d = k->starts;
    fd_real *start = q->eps, *x = fd_raw(&a, fd_real, b * size);
    double *cost = near ? fd_raw(&a, double, (ptrdiff_t)b * b) : NULL;
    int *to = near ? fd_raw(&a, int, b) : NULL;
    need(a.st);
    for (int i = 0; i < b; i++) {
        const uint64_t at = (uint64_t)step * (uint64_t)o->batch + (uint64_t)(from + i);
        int j = k->couple.row == 1 ? q->which[i]
            : (int)fd_index(fd_stream(seed, 'j', 0), at, (uint64_t)d->m);
        data_take(d, j, start + i * size, a);
    }
    fd_cov_pow(k->noise, 0, b, start, start, a);
    for (int i = 0; near && i < b; i++)                     /* row: the end, column: the start */
        for (int j = 0; j < b; j++) {
            double sum = 0;
            for (ptrdiff_t l = 0; l < size; l++)
                sum += pow((double)q->x0[i * size + l] - (double)start[j * size + l], 2);
            cost[(ptrdiff_t)i * b + j] = sum;
        }
    if (near) {
        fd_assignment(b, cost, to, a);
        memcpy(x, start, (size_t)(b * size) * sizeof *x);
        for (int i = 0; i < b; i++)
            memcpy(start + i * size, x + to[i] * size, (size_t)size * sizeof *x);
    }
    if (k->between.row) {
        fd_real *z = fd_raw(&a, fd_real, b * size);
        fd_interpolant_draw(&k->mid, fd_stream(seed, 'e', (uint32_t)step), from, b, start, q->x0,
                            q->t, q->xt, z, a);
        fd_interpolant_target(&k->mid, FD_VELOCITY, b, start, q->x0, z, q->t, q->y, a);
    } else {
        fd_real *xi = fd_raw(&a, fd_real, b * size);
        fd_cov_draw(k->noise, fd_stream(seed, 'e', (uint32_t)step), from, b, xi, a);
        fd_bridge_draw(&k->line, b, q->t, start, q->x0, xi, q->xt, a);
        memcpy(q->y, q->x0, (size_t)(b * size) * sizeof *x);
    }
    for (int i = 0; i < b; i++) {
        memcpy(q->in + i * seen, q->xt + i * size, (size_t)size * sizeof *x);
        if (told) memcpy(q->in + i * seen + size, start + i * size, (size_t)size * sizeof *x);
    }
}

/* batch_draw -- a part of the batch of a step. Every function has its own random numbers, by its
 * place in the batch: they do not depend on how many parts there are. */
static inline void batch_draw(batch *q, const kit *k, const dataset *d, const args *o, int step,
                              int part, fd_arena a)
{
    const int b = o->batch / o->accumulate, from = part * b;
    fd_rng seed = fd_seed(o->seed);
    ptrdiff_t size = fd_size(&k->s);
    for (int i = 0; i < b; i++) {
        long long at = (long long)step * o->batch + from + i;
        int epoch = (int)(at / d->m);                  /* each epoch is its own permutation */
        if (epoch != q->epoch) fd_perm(fd_stream(seed, 'p', (uint32_t)epoch), d->m, q->perm);
        q->epoch = epoch;
        q->which[i] = q->perm[at % d->m];
        data_take(d, q->which[i], q->x0 + i * size, a);
        for (int j = o->flip.row == 1 ? k->s.nd - 1 : 0; o->flip.row && j < k->s.nd; j++)
            if (fd_index(fd_stream(seed, 'm', (uint32_t)j), (uint64_t)at, 2))
                mirror(&k->s, j, q->x0 + i * size);
    }
    /* Modes without noise (Nyquist's on even grids) would stand in X_t for the network to read, and
     * not in a sample's: C^0 takes them out of the data. */
    fd_cov_pow(k->noise, 0, b, q->x0, q->x0, a);
    fd_rng rt = fd_stream(seed, 't', (uint32_t)step);
    for (int i = 0; i < b; i++) q->w[i] = 1;
    if (k->between.t) {                              /* one in each of as many parts of 0 to 1 */
        fd_real u[1];
        for (int i = 0; i < b; i++) {
            fd_uniform(fd_stream(rt, 'u', (uint32_t)(from + i)), 1, u);
            q->t[i] = fmin(1 - 1e-3, fmax(1e-6, (from + i + (double)u[0]) / o->batch));
        }
        pairs_draw(q, k, o, step, part, a);
        return;
    }
    if (q->law) fd_time_draw(q->law, rt, from, b, q->t, q->w);
    else fd_draw_times(&k->p, o->law.row, o->law.v, rt, from, b, q->t, a.st);
    fd_perturb(&k->p, fd_stream(seed, 'e', (uint32_t)step), from, b, q->x0, q->t, q->xt, q->eps, a);
    for (int i = 0; q->label && i < b; i++) {
        fd_real u;
        fd_uniform(fd_stream(fd_stream(seed, 'l', (uint32_t)step), 'l', (uint32_t)(from + i)), 1,
                   &u);
        q->label[i] = (double)u < k->drop ? -1 : d->label[q->which[i]];
    }
    if (k->condition.t) condition_pairs(q, k, o, step, part, NULL, a);
    else if (k->pre) {
        fd_precond_pair(k->pre, b, q->x0, q->xt, q->t, q->in, q->y, a);
    } else {
        fd_target(&k->p, k->predict.row, b, q->x0, q->eps, q->t, q->y, a);
        memcpy(q->in, q->xt, (size_t)(b * size) * sizeof *q->in);
    }
    for (int i = 0; i < b; i++) {
        double cin, cout = 1;                          /* D - x0 = cout (what it says - y) */
        if (k->pre && o->norm.row >= FD_NORM_LIKELIHOOD)
            fd_precond_scale(k->pre, q->t[i], &cin, &cout);
        q->w[i] *= cout * cout;
        if (!k->pre && o->weight.row)
            q->w[i] *= fd_time_weight(&k->p, o->weight.row, k->predict.row, q->t[i], a.st);
    }
}

/* norm_loss -- the loss in the norm W of --norm. The target y becomes says - W (says - y), so that
 * |says - y|^2, which the tape knows, has the gradient that the loss has. */
static inline double norm_loss(const kit *k, const args *o, int b, const fd_real *says, batch *q,
                               fd_arena a)
{
    ptrdiff_t size = fd_size(&k->s), n = b * size;
    int kind = k->pre ? FD_X0 : k->predict.row;
    double loss = 0;
    for (ptrdiff_t i = 0; i < n; i++) q->eps[i] = says[i] - q->y[i];
    for (int pass = 0; pass < 2; pass++) {
        fd_loss_weigh(&k->p, o->norm.row, o->norm.v[0], kind, b, q->t, q->eps, a);
        for (int i = 0; i < b && !pass; i++)
            loss += q->w[i] / b * fd_inner(&k->s, q->eps + i * size, q->eps + i * size);
    }
    for (ptrdiff_t i = 0; i < n; i++) q->y[i] = says[i] - q->eps[i];
    return loss;
}

/* time_law -- of --time-law least; says how much it saves. */
static inline fd_time_law *time_law(fd_arena *a, const kit *k, const args *o)
{
    fd_time_law *l = fd_time_law_new(a, &k->p, k->c0, o->norm.row, o->norm.v[0],
                                     k->pre ? FD_X0 : k->predict.row);
    double sum = 0;
    need(a->st);
    for (int i = 0; i < l->n; i++)
        sum += (l->cdf[i + 1] - l->cdf[i]) * (l->cdf[i + 1] - l->cdf[i]) / (l->t[i + 1] - l->t[i]);
    printf("time law: the mean square of the loss of a pair is 1/%.4g of that under uniform "
           "times\n", sum * (l->t[l->n] - l->t[0]));
    fflush(stdout);
    return l;
}

/* data_label -- the labels of the functions that are used, from a file that has those of all. */
static inline void data_label(fd_arena *a, dataset *d, const char *path)
{
    source f = source_open(a, path);
    int *label = fd_raw(a, int, d->m);
    double *y = fd_raw(a, double, d->total);
    need(a->st);
    if (source_count(&f) != d->total || f.n[0] != d->total)
        die(1, "%s: not a label for each of the %d functions of %s", path, d->total, d->name);
    source_doubles(&f, 0, d->total, y, *a);
    need(a->st);
    source_close(&f);
    for (int i = 0; i < d->m; i++) {
        double v = y[data_index(d, i)];
        if (!(v >= 0 && v < 65535 && v == floor(v)))
            die(1, "%s: function %d has the label %g: wants whole numbers from 0 to 65534", path,
                data_index(d, i), v);
        label[i] = (int)v;
        if (label[i] >= d->labels) d->labels = label[i] + 1;
    }
    d->label = label;
}

/* data_like -- a line where functions are not of the size that those had by which the model
 * normalises. */
static inline void data_like(const dataset *d, const char *model)
{
    double power = 0;
    ptrdiff_t size = fd_size(&d->s);
    if (d->norm.kind == NORMALIZE_NONE) return;
    for (ptrdiff_t k = 0; k < size; k++) power += pow((double)d->mean[k], 2) / (double)size;
    for (ptrdiff_t k = 0; k < d->s.modes; k++) power += d->var[k];
    if (power > 10 || power < 0.1)
        printf("%s: as %s normalises, these have a mean square of %.3g, and those of its training "
               "had 1\n", d->name, model, power);
}

/* gap_warn -- a line where the data can still be seen at the last time, from which samplers
 * start. */
static inline void gap_warn(const kit *k, fd_arena a)
{
    fd_gap g = fd_terminal(&k->p, k->mean, k->c0, a);
    double power = 0;
    need(a.st);
    for (ptrdiff_t i = 0; i < k->s.modes; i++)
        power += k->s.ch * fd_law(&k->p, k->p.tmax, i).v * k->noise->lam[i];
    if (g.w2 > 0.1 * sqrt(power))
        printf("the law at the last time is not that of noise: W2 between them is %.3g, the "
               "noise's size %.3g; fd sample --start matched, a longer process%s\n", g.w2,
               sqrt(power), k->norm.kind == NORMALIZE_NONE
               && !k->norm.bytes ? ", or --normalize scale" : "");
    fflush(stdout);
}

/* part_grad -- adds to net's gradient that of a part of the batch, over how many there are; the
 * part's share of the loss. */
static inline double part_grad(const kit *k, const fd_net *net, const args *o, batch *q, fd_arena a)
{
    const fd_arch *arch = &net->arch;
    const int parts = o->accumulate, b = o->batch / parts;
    fd_tape tape = fd_tape_begin(&a, arch->inr.inner && !arch->inr.first ? FD_GRAD2 : FD_GRAD);
    fd_var *in = fd_input(&tape, 3, (int[]){ b, arch->in, (int)k->s.points }, q->in);
    fd_var *says = fd_forward_label(net, &tape, &k->s, in, q->t, q->label);
    double other = o->norm.row && says ? norm_loss(k, o, b, says->x, q, a) : 0;
    fd_var *fit = fd_mse_loss(&tape, &k->s, says, q->y, q->w);
    fit = fd_affine(&tape, fit, 1.0 / parts, 0);
    fd_backward(&tape, fit);
    double loss = o->norm.row ? other / parts : fit ? (double)fit->x[0] : 0;
    fd_tape_end(&tape);
    return loss;
}

/* step_grad -- loss and gradient of the batch of a step, part by part: see ranks.h. */
static inline double step_grad(const kit *k, const dataset *d, const args *o, int step, batch *q,
                               fd_arena a)
{
    const ptrdiff_t count = k->net->count;
    double loss = 0;
    fd_net net = *k->net;
    if (q->grad) net.g = q->grad;
    for (int j = my_rank; j < o->accumulate; j += ranks) {
        if (q->grad) memset(q->grad, 0, (size_t)count * sizeof *q->grad);
        batch_draw(q, k, d, o, step, j, a);
        loss = ranks_sum(loss, part_grad(k, &net, o, q, a));
        if (q->grad) ranks_add(count, q->grad, k->net->g, q->room);
    }
    ranks_join(count, k->net->g);
    return loss;
}

/* pairs_open -- the functions from which k goes. */
static inline dataset pairs_open(fd_arena *a, kit *k, const args *o, const char *start)
{
    if (!start) die(2, "train: %s goes from functions to functions: --pairs A:B", o->resume);
    dataset d = data_open(a, start, o, k, shape_of(&k->s), shape_of(&k->s));
    data_measure(a, &d, o->normalize.row, o->resume ? &k->norm0 : NULL);
    data_say(&d, "", o->resume);
    k->norm0 = d.norm, k->axes0 = d.axes;
    return d;
}

static inline batch batch_new(fd_arena *a, const kit *k, const args *o, int *perm)
{
    const int b = o->batch / o->accumulate;
    const ptrdiff_t n = b * fd_size(&k->s), seen = b * k->net->arch.in * k->s.points;
    fd_real *x = fd_raw(a, fd_real, 4 * n + seen);
    double *t = fd_raw(a, double, 2 * b);
    int *which = fd_raw(a, int, b);
    int *label = k->net->arch.labels ? fd_raw(a, int, b) : NULL;
    fd_real *grad = o->accumulate > 1 ? fd_raw(a, fd_real, k->net->count) : NULL;
    fd_real *room = ranks > 1 ? fd_raw(a, fd_real, k->net->count + ranks) : NULL;
    need(a->st);
    return (batch){ x, x + n, x + 2 * n, x + 4 * n, x + 3 * n, t, t + b, perm, which, -1, label,
                    NULL, grad, room };
}

/* step_failed -- why a step could not be taken. */
static inline void step_failed(const fd_status *st, int step, int first)
{
    char text[256];
    fd_explain(st, text, sizeof text);
    if (st->code == FD_ESHAPE && first) die(2, "--net: not on this grid: %s", text);
    die(1, "step %d: %s%s", step, text, st->code == FD_ENOMEM ? "; give more by --memory" : "");
}

/* number_text -- 725, "38 thousand", "1.2 million"; size_text -- "180 MB". */
static inline const char *number_text(double n, char text[32])
{
    int k = n < 1e4 ? 0 : n < 1e6 ? 1 : n < 1e9 ? 2 : 3;
    n /= pow(10, 3 * k);
    sprintf(text, k && n < 10 ? "%.1f%s" : "%.0f%s", n,
            ((const char *[]){ "", " thousand", " million", " billion" })[k]);
    return text;
}

static inline const char *size_text(double n, char text[32])
{
    int k = n < 1e6 ? 1 : n < 1e9 ? 2 : 3;
    n /= pow(10, 3 * k);
    sprintf(text, n < 10 ? "%.1f %cB" : "%.0f %cB", n, " kMG"[k]);
    return text;
}

/* rehearse -- steps of one and of two functions, undone, tell what memory a batch will take: that
 * and the weights are said, or, before any training, that it is too much. Returns the bytes that
 * stay free. */
static inline double rehearse(kit *k, const dataset *d, const args *o, int *perm,
                              const fd_time_law *law, fd_arena a)
{
    fd_status *st = a.st;
    size_t low = st->low, left = (size_t)(a.end - a.beg);
    double need_draw[2], need_grad[2];
    double each = (double)k->s.points * sizeof(fd_real) * (4 * k->s.ch + k->net->arch.in);
    double weights = (double)k->net->count * sizeof(fd_real);
    char text[3][32];
    const char *net = t_net.rows[o->net.row].name;
    for (int b = 1; b <= 2; b++) {
        if (b > o->batch) { need_draw[1] = need_draw[0]; need_grad[1] = need_grad[0]; break; }
        args p = *o;
        fd_arena m = a;
        p.batch = b;
        p.accumulate = 1;
        batch q = batch_new(&m, k, &p, perm);
        q.law = law;
        size_t here = st->low = (size_t)(m.end - m.beg);
        batch_draw(&q, k, d, &p, k->opt->step, 0, m);
        need_draw[b - 1] = (double)(here - st->low);
        st->low = here;
        part_grad(k, k->net, &p, &q, m);
        need_grad[b - 1] = (double)(here - st->low);
        if (st->code == FD_ENOMEM)
            die(1, "%s: %s weights: %s are left for training, not enough for %d function%s: give "
                "more by --memory", net, number_text((double)k->net->count, text[0]),
                size_text((double)left, text[1]), b, b > 1 ? "s" : "");
        if (st->code) step_failed(st, k->opt->step + 1, !k->opt->step);
    }
    memset(k->net->g, 0, (size_t)k->net->count * sizeof *k->net->g);
    st->low = low;
    int fits = 0;                              /* the fewest parts whose memory is there */
    double bytes = 0;
    for (int parts = o->accumulate; parts <= o->batch; parts++) {
        if (o->batch % parts || parts % ranks) continue;
        int b = o->batch / parts;
        double draw = need_draw[0] + (b - 1) * fmax(0, need_draw[1] - need_draw[0]);
        double grad = need_grad[0] + (b - 1) * fmax(0, need_grad[1] - need_grad[0]);
        double all = b * each + ((parts > 1) + (ranks > 1)) * weights + fmax(draw, grad);
        if (parts == o->accumulate) bytes = all;
        if (all <= (double)left) { fits = parts; break; }
    }
    double fixed = (double)(st->size - left);
    number_text((double)k->net->count, text[0]);
    size_text(bytes + fixed, text[1]);
    if (fits != o->accumulate) {
        char part[48] = "";
        if (fits) sprintf(part, ", or --accumulate %d", fits);
        die(1, "%s: %s weights: batches of %d need about %s, more than there is: give more by "
            "--memory%s", net, text[0], o->batch, text[1], part);
    }
    if (!o->quiet)
        printf("%s: %s weights; about %s for batches of %d\n", net, text[0], text[1], o->batch);
    fflush(stdout);
    return (double)left - bytes;
}

/* rate_follow -- makes the learning rate one of the share of the time that is used. */
static inline void rate_follow(fd_opt *opt, double done)
{
    opt->how.steps = opt->step < 10 ? INT_MAX : (int)fmin(opt->step / fmax(done, 1e-3), 1e9);
}

/* duration_say -- how long so many steps will take. */
static inline void duration_say(double left, int steps)
{
    const char *unit = left < 120 ? "s" : left < 7200 ? "min" : "hours";
    double in = left < 120 ? left : left < 7200 ? left / 60 : left / 3600;
    bar_end();
    printf("about %.*f %s for %d steps\n", in < 10, in, unit, steps);
    fflush(stdout);
}

/* exploded -- dies, and says where the last good model is. */
static inline void exploded(const kit *k, const args *o, double least, int saves)
{
    int kept = saves || (o->out && o->resume && !strcmp(o->out, o->resume));
    die(1, "step %d: the loss has exploded, from %.3g: a smaller --lr, --clip 1; %s%s",
        k->opt->step + 1, least, kept ? "the last good model is in " : "no model was written",
        kept ? o->out : "");
}

/* train_save -- the model at the end, after a failure, too, which *st keeps. */
static inline void train_save(fd_status *st, const kit *k, const args *o, fd_arena a)
{
    fd_status why = *st;
    st->code = FD_OK;
    kit_save(st, o->out, k, o, a);
    need(st);
    wrote(o->out);
    *st = why;
}

/* train -- to o->steps steps or for o->budget seconds; writes the model after 2 s, then every 30 s
 * or every o->save steps, and at the end: after Ctrl-C, too, and after a failure as it was before.
 * Three losses in a row of a million times the least mean have exploded: that ends the run, and the
 * file is as it was when the loss of its weights was last near the least. Returns the signal, or
 * 0. */
static inline int train(kit *k, const dataset *d, const args *o, curve *c, fd_arena a)
{
    enum { SOON = 2, LATER = 30, EARLY = 10, STRIKES = 3, FAILED = 1000 };
    fd_status *st = a.st;
    int end, first = k->opt->step, steps = k->opt->how.steps, last = first, saves = 0, strikes = 0;
    int told = o->quiet || o->budget > 0;
    double begin, smooth = 0, least = INFINITY, saved, loss = 0;
    dataset near = *d;
    int *perm = fd_raw(&a, int, d->m);
    need(st);
    const fd_time_law *law = o->law.row == LAW_LEAST ? time_law(&a, k, o) : NULL;
    double spare = rehearse(k, d, o, perm, law, a);
    data_keep(&a, &near, spare / 2);
    batch q = batch_new(&a, k, o, perm);
    q.law = law;
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    begin = saved = now();
    ranks_reset();
    while (!(end = (int)ranks_most(st->code ? FAILED : stopped))) {
        fd_opt *opt = k->opt;
        double spent = now() - begin;
        if (o->budget > 0) ranks_share(&spent, sizeof spent, 0);
        double done = o->budget > 0 ? spent / o->budget
                                    : (double)(opt->step - first) / (o->steps - first);
        if (o->budget > 0 ? done >= 1 : opt->step >= o->steps) break;
        if (o->budget > 0) rate_follow(opt, done);
        double rate = fd_opt_rate(opt, opt->step + 1);
        loss = step_grad(k, &near, o, opt->step, &q, a);
        int ran = opt->step - first + 1;
        int due = o->save ? opt->step / o->save > last / o->save
                          : now() - saved > (saves ? LATER : SOON);
        strikes = st->code || loss <= 1e6 * least ? 0 : loss < INFINITY ? strikes + 1 : STRIKES;
        if (strikes == STRIKES) break;
        int good = loss < 10 * least;
        if (!my_rank && o->out && due && opt->step > last && good) {
            kit_save(st, o->out, k, o, a);
            saved = now();
            last = opt->step;
            saves++;
        }
        double norm = fd_opt_step(opt, k->net, st);
        if (st->code) break;
        spent = now() - begin;
        curve_add(c, (double[]){ opt->step, loss, norm, rate, spent });
        smooth += fmax(0.02, 1.0 / ran) * (loss - smooth);
        if (loss > 0 && !strikes) least = fmin(least, fmax(smooth, loss));
        done = o->budget > 0 ? fmin(1, spent / o->budget) : (double)ran / (o->steps - first);
        progress("step", opt->step, done, smooth, ran * o->batch / spent,
                 o->budget > 0 ? o->budget - spent : (o->steps - opt->step) * spent / ran);
        if (!told && (ran == EARLY || (ran > 1 && spent > 5))) {
            told = 1;
            duration_say((o->steps - first) * spent / ran, o->steps - first);
        }
    }
    bar_end();
    if (end != FAILED && !st->code) ranks_say(k->opt->step - first, now() - begin);
    if (o->budget > 0) k->opt->how.steps = steps > k->opt->step ? steps : k->opt->step;
    if (strikes == STRIKES || (st->code == FD_ENAN && !(loss < 10 * least)))
        exploded(k, o, least, saves);
    if (!my_rank && k->opt->step > first && o->out) train_save(st, k, o, a);
    if (st->code) step_failed(st, k->opt->step + 1, k->opt->step == first && !first);
    return end;
}

#endif
