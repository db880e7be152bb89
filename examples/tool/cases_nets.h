/* cases_nets.h -- cases of fd vectors: whole networks, their weights in the file. A fault is the
 * same weights in another network, or other weights in the same one. */
#ifndef CASES_NETS_H
#define CASES_NETS_H
#include "vectors.h"

/* net_weights -- of size one over the root of what a weight adds up; gains about 1. */
static inline fd_net *net_weights(casebook *q, const fd_arch *arch)
{
    fd_net *net = fd_net_new(&q->mem, arch, fd_seed(q->seed));
    need(q->mem.st);
    fd_real *z = normals(q, net->count);
    for (int i = 0; i < net->parts; i++) {
        const fd_part *p = &net->part[i];
        ptrdiff_t n = count_of(p->nd, p->n);
        size_t length = strlen(p->name);
        int spectral = length > 8 && !strcmp(p->name + length - 8, "spectral");
        double scale = spectral ? 1 / sqrt(p->n[p->nd - 3]) : p->nd > 1 ? 1 / sqrt(p->n[0]) : .3;
        int gain = length > 2 && !strcmp(p->name + length - 2, ".g");
        for (ptrdiff_t j = 0; j < n; j++)
            net->w[p->at + j] = (fd_real)(scale * (double)z[p->at + j] + (gain ? 1 : 0));
    }
    return net;
}

/* net_says -- y of the network with the weights w. */
static inline fd_real *net_says(casebook *q, const fd_net *net, fd_real *w, const fd_space *s,
                                int b, const fd_real *x, const double *time)
{
    const int n[3] = { b, net->arch.in, (int)s->points };
    fd_real *y = fd_raw(&q->mem, fd_real, b * net->arch.out * s->points);
    fd_arena a = q->mem;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    const fd_net *other = w == net->w ? net : fd_net_with(&a, net, w);
    fd_var *out = fd_forward(other, &t, s, fd_input(&t, 3, n, x), time);
    need(a.st);
    memcpy(y, out->x, (size_t)fd_count(out) * sizeof *y);
    return y;
}

static inline fd_part *net_part(const fd_net *net, const char *name)
{
    for (int i = 0; i < net->parts; i++)
        if (!strcmp(net->part[i].name, name)) return &net->part[i];
    return NULL;
}

/* net_turned -- the same weights, of one part the rows by another order. */
static inline fd_real *net_turned(casebook *q, const fd_net *net, const char *id)
{
    const char *name = !strcmp(id, "axes-swapped") ? "lift0.w" : !strcmp(id, "sine-first")
        ? "time0.w" : "pos_embed";
    const fd_part *p = net_part(net, name);
    const fd_arch *a = &net->arch;
    fd_real *w = fd_raw(&q->mem, fd_real, net->count);
    need(q->mem.st);
    memcpy(w, net->w, (size_t)net->count * sizeof *w);
    int skips = !strcmp(id, "no-skips");
    for (int i = 0; i < net->parts && skips; i++) {
        const fd_part *s = &net->part[i];
        if (!strstr(s->name, "skip_linear")) continue;
        for (ptrdiff_t j = 0; j < count_of(s->nd, s->n); j++)
            w[s->at + j] = s->nd > 1 && j / s->n[1] == j % s->n[1];
    }
    if (skips || !p) return skips && net_part(net, "out_blocks.0.skip_linear.w") ? w : NULL;
    int cols = p->n[p->nd - 1], rows = (int)(count_of(p->nd, p->n) / cols);
    for (int i = 0; i < rows; i++) {
        int from = !strcmp(id, "sine-first") ? (i + rows / 2) % rows : !strcmp(id, "position-shift")
            ? (i + 1) % rows
                 : i >= a->in && i < a->in + a->nd ? 2 * a->in + a->nd - 1 - i : i;
        memcpy(w + p->at + (ptrdiff_t)i * cols, net->w + p->at + (ptrdiff_t)from * cols,
               (size_t)cols * sizeof *w);
    }
    return w;
}

/* net_other -- the architecture by a fault; 0 where there is none. */
static inline int net_other(const fd_arch *a, const char *id, fd_arch *b)
{
    *b = *a;
    int fno = a->kind == FD_FNO_ORIGINAL || a->kind == FD_FNO_BLOCK;
    if (!strcmp(id, "gelu-tanh")) b->act = FD_GELU_TANH;
    else if (!strcmp(id, "ends-included")) b->coords = FD_COORD_CLOSED;
    else if (!strcmp(id, "ends-open")) b->coords = FD_COORD_OPEN;
    else if (!strcmp(id, "time-small")) b->tscale = a->tscale / 1000;
    else if (!strcmp(id, "act-last")) b->fno.acts = a->layers;
    else if (!strcmp(id, "act-half")) b->fno.acts = a->layers / 2;
    else return 0;
    return fno || !strcmp(id, "gelu-tanh") || !strcmp(id, "time-small");
}

static inline void net_params(casebook *q, const fd_arch *a, const char *kind)
{
    static const char *const coords[] = { "", "open", "closed", "none" };
    static const char *const time[] = { "", "channel", "film", "token", "none" };
    param_text(q, "network", kind);
    param(q, "in", a->in), param(q, "out", a->out);
    param(q, "width", a->width), param(q, "layers", a->layers);
    if (a->kind == FD_UVIT) {
        param_list(q, "patch", a->nd, a->vit.patch);
        param(q, "heads", a->vit.heads), param(q, "mlp", a->vit.mlp), param(q, "eps", a->eps);
    } else {
        param_list(q, "modes", a->nd, a->fno.modes);
        param_text(q, "coords", coords[a->coords]);
        param(q, "acts", a->fno.acts);
    }
    param_text(q, "time", time[a->time]);
    param(q, "tscale", a->tscale);
    if (a->time == FD_TIME_FILM || a->time == FD_TIME_TOKEN) param(q, "embed", a->embed);
}

static inline void net_case(casebook *q, const fd_arch *arch, const int n[], const char *kind,
                            const char *paper, const char *flags, const char *what)
{
    static const char *const turned[] = { "axes-swapped", "sine-first", "position-shift",
                                         "no-skips" };
    static const char *const others[] = { "gelu-tanh", "ends-included", "ends-open", "time-small",
                                         "act-last", "act-half" };
    enum { B = 2 };
    const double time[B] = { .25, .7 };
    const int many = B, timed = arch->time != FD_TIME_NONE;
    int dims[5] = { B, arch->in };
    case_begin(q, VALID, paper, flags, "%s", what);
    q->tol *= 5;
    fd_net *net = net_weights(q, arch);
    fd_space s = fd_grid(&q->mem, arch->nd, n, NULL, NULL, arch->in);
    memcpy(dims + 2, n, (size_t)arch->nd * sizeof *n);
    const fd_real *x = normals(q, B * arch->in * s.points);
    net_params(q, &net->arch, kind);
    param_list(q, "n", arch->nd, n);
    put_in(q, "x", 2 + arch->nd, dims, x);
    if (timed) put_in_d(q, "t", 1, &many, time);
    for (int i = 0; i < net->parts; i++)
        put_in(q, net->part[i].name, net->part[i].nd, net->part[i].n, net->w + net->part[i].at);
    dims[1] = arch->out;
    put_out(q, "y", 2 + arch->nd, dims, net_says(q, net, net->w, &s, B, x, time));
    for (int i = 0; i < COUNT(others); i++) {
        fd_arch b;
        if (!net_other(&net->arch, others[i], &b)) continue;
        fd_net *other = fd_net_new(&q->mem, &b, fd_seed(0));
        need(q->mem.st);
        put_other(q, 0, others[i], "y", net_says(q, other, net->w, &s, B, x, time));
    }
    for (int i = 0; i < COUNT(turned); i++) {
        fd_real *w = net_turned(q, net, turned[i]);
        if (w) put_other(q, 0, turned[i], "y", net_says(q, net, w, &s, B, x, time));
    }
    case_end(q);
}

/* act_case -- y = f(x), point by point, at equal steps of x. */
static inline void act_case(casebook *q, const char *name, int f, double from, double to)
{
    const int n = 17;
    case_begin(q, VALID, "", "", "y = %s(x), point by point", name);
    param_text(q, "function", name);
    fd_real *x = fd_raw(&q->mem, fd_real, n);
    double *y = doubles(q, n);
    for (int i = 0; i < n; i++) {
        const double u = x[i] = (fd_real)(from + (to - from) * i / (n - 1));
        y[i] = f == FD_GELU ? u / 2 * erfc(-u / sqrt(2.)) : f == FD_GELU_TANH
             ? u / 2 * (1 + tanh(.79788456080286536 * (u + .044715 * u * u * u)))
             : f == FD_SILU ? u / (1 + exp(-u)) : f == FD_TANH ? tanh(u) : u > 0 ? u : 0;
    }
    put_in(q, "x", 1, &n, x);
    fd_tape t = fd_tape_begin(&q->mem, FD_EVAL);
    fd_var *in = fd_input(&t, 1, &n, x), *out = fd_map(&t, in, f);
    fd_var *other = f == FD_GELU ? fd_map(&t, in, FD_GELU_TANH) : NULL;
    need(q->mem.st);
    agree(q, n, out->x, y);
    put_out(q, "y", 1, &n, out->x);
    if (other) put_other(q, 0, "gelu-tanh", "y", other->x);
    case_end(q);
}

static inline void group_activations(casebook *q)
{
    if (!group_begin(q, "activations", "functions of each number: GELU, SiLU, tanh, ReLU")) return;
    act_case(q, "gelu", FD_GELU, -4, .5);     /* where its two formulas are told apart in float */
    act_case(q, "gelu-tanh", FD_GELU_TANH, -4, 4);
    act_case(q, "silu", FD_SILU, -4, 4);
    act_case(q, "tanh", FD_TANH, -4, 4);
    act_case(q, "relu", FD_RELU, -4, 4);
    group_end(q);
}

static inline void group_networks(casebook *q)
{
    const fd_arch line = { .kind = FD_FNO_ORIGINAL, .nd = 1, .in = 1, .out = 1, .width = 6,
                           .layers = 4, .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
                           .fno = { .modes = { 3 }, .proj = 8 } };
    const fd_arch plane = { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 2, .out = 1, .width = 4,
                            .layers = 3, .time = FD_TIME_NONE, .coords = FD_COORD_OPEN,
                            .fno = { .modes = { 2, 2 }, .proj = 6 } };
    const fd_arch block = { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 4,
                            .layers = 4, .time = FD_TIME_FILM, .embed = 8, .coords = FD_COORD_OPEN,
                            .fno = { .modes = { 3, 4 }, .lift = 5, .proj = 6 } };
    const fd_arch uvit = { .kind = FD_UVIT, .nd = 2, .in = 1, .out = 1, .width = 8, .layers = 3,
                           .grid = { 4, 6 }, .time = FD_TIME_TOKEN, .coords = FD_COORD_NONE,
                           .edges = FD_EDGES_PLAIN,
                           .vit = { .patch = { 2, 2 }, .heads = 2, .mlp = 12,
                                    .pos = FD_POS_LEARNED } };
    if (!group_begin(q, "networks", "whole networks: Fourier operators, U-ViT; the weights are in "
                     "the file")) return;
    net_case(q, &line, (int[]){ 9 }, "fno-original", "[FNO eq. 2]", "Axes1 OddGrid",
             "the original FNO on 9 points");
    net_case(q, &line, (int[]){ 16 }, "fno-original", "[FNO eq. 2]", "Axes1",
             "the original FNO on 16 points");
    net_case(q, &plane, (int[]){ 6, 7 }, "fno-original", "[FNO eq. 2]", "Axes2 OddGrid",
             "the original FNO on 6x7 points");
    net_case(q, &block, (int[]){ 8, 9 }, "fno-block", "[neuraloperator]", "Axes2 OddGrid OddModes",
             "an FNO of blocks, time by scale and shift, on 8x9 points");
    net_case(q, &uvit, (int[]){ 4, 6 }, "uvit", "[U-ViT code, libs/uvit.py]", "Axes2",
             "a U-ViT of three blocks on 4x6 points");
    group_end(q);
}
#endif
