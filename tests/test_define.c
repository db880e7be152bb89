/* test_define.c -- networks of one's own: the pages here are what a user would write. */
#include "test.h"

/* every block at once, on grids of one or two axes; self: how many labels, at least 1 */
enum { W = 4 };
static fd_var *every(fd_pass *p, fd_var *x, const void *self)
{
    fd_tape *t = p->t;
    const int labels = *(const int *)self, nd = p->s->nd, modes[3] = { 2, 1, 1 };
    fd_var *e = fd_dense_layer(p, "time", fd_time_embedding(p, 6, 3), 6, W);
    e = fd_add(t, fd_map(t, e, FD_SILU), fd_label_embedding(p, labels, W));
    fd_var *h = fd_dense_layer(p, "lift", fd_channels_last(p, x), 2, W);
    for (int l = 0; l < 2; l++) {
        fd_scope(p, "layer", l);
        fd_var *u = fd_spectral_layer(p, "", h, W, W, modes, FD_GELU);
        u = fd_film_layer(p, "film", fd_norm_layer(p, "norm", u, W, l ? 2 : 0), W, e, W);
        h = fd_add(t, h, fd_mlp(p, "mlp", u, W, 5, W, l ? FD_TANH : FD_IDENTITY));
    }
    fd_var *z = fd_reshape(t, h, 3, (int[]){ p->b, (int)p->s->points, W });
    fd_scope(p, "block", -1);
    z = fd_attention_block(p, z, W, 2, 6);
    fd_var *q = fd_dense_layer(p, "query", fd_coordinates(p, p->to, 1), 2 * nd, W);
    fd_scope(p, "cross", 12);
    z = fd_cross_block(p, q, z, W, 2, 6);
    fd_scope(p, NULL, 0);
    fd_var *gain = fd_weight(p, "gain", 2, (int[]){ W, W }, fd_init_identity());
    z = fd_matmul(t, 0, 0, z, gain);
    return fd_channels_first(p, fd_dense_layer(p, "proj", z, W, 3));
}

static const int labels = 2, label[2] = { 1, -1 };
static const double time[2] = { .2, .7 };

static double loss_of(fd_net *net, int mode, const fd_space *s, const fd_real *x, fd_real *dx,
                      fd_arena a)
{
    const int n[3] = { 2, 2, (int)s->points };
    fd_tape t = fd_tape_begin(&a, mode);
    fd_var *in = fd_param(&t, 3, n, (fd_real *)(uintptr_t)x, dx);
    fd_var *y = fd_forward(net, &t, s, in, time);
    y = fd_sum_to(&t, fd_map(&t, y, FD_SQUARE), 1, (int[]){ 1 });
    if (mode != FD_EVAL) fd_backward(&t, y);
    return y ? (double)*y->x : NAN;
}

/* Gradients by weights and input against differences, and on tapes of every mode the same. */
static void test_gradients(fd_arena a)
{
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    fd_space s = fd_grid(&a, 2, (int[]){ 5, 4 }, NULL, (int[]){ FD_NEUMANN, FD_PERIODIC }, 2);
    fd_net *net = fd_net_define(&a, every, &labels, &s, fd_seed(3));
    fd_real *x = normals(&a, 1, 2 * fd_size(&s)), *dx = fd_new(&a, fd_real, 2 * fd_size(&s));
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    OK(net->arch.in == 2 && net->arch.out == 3 && net->arch.nd == 2 && net->arch.kind == FD_OWN,
       "what is known of it: %d %d", net->arch.in, net->arch.out);
    fd_real *was = normals(&a, 5, net->count), *g = fd_raw(&a, fd_real, net->count);
    for (ptrdiff_t i = 0; i < net->count; i++) net->w[i] += (fd_real).1 * was[i];
    double l = loss_of(net, FD_GRAD, &s, x, dx, a), h = TOL(1e-4, 1e-2), large = 0;
    memcpy(g, net->g, (size_t)net->count * sizeof *g);
    for (ptrdiff_t i = 0; i < net->count; i++) large = fmax(large, fabs((double)g[i]));
    OK(loss_of(net, FD_EVAL, &s, x, NULL, a) == l && large > 0, "the same without gradients");
    memset(net->g, 0, (size_t)net->count * sizeof *g);
    NEAR(loss_of(net, FD_GRAD2, &s, x, NULL, a), l, TOL(1e-12, 1e-5) * l, "modes");
    NEAR(test_rel(net->count, net->g, g), 0, TOL(1e-11, 1e-4), "modes");
    for (ptrdiff_t k = 0; k < net->count + 2 * fd_size(&s); k += 1 + (k >= net->count) * 7) {
        fd_real *at = k < net->count ? net->w + k : x + (k - net->count), kept = *at;
        double want = (double)(k < net->count ? g[k] : dx[k - net->count]), d = 0;
        for (int j = 0; j < 4; j++) {
            *at = (fd_real)((double)kept + step[j] * h);
            d += c[j] * loss_of(net, FD_EVAL, &s, x, NULL, a) / (12 * h);
        }
        *at = kept;
        NEAR(want, d, TOL(1e-8, 4e-3) * large, "derivative %d", (int)k);
    }
    OK(!a.st->code, "%s", explain(a.st));
}

/* First values have the law that was said, each weight from a stream of its own. */
static fd_var *drawn(fd_pass *p, fd_var *x, const void *self)
{
    const int n[2] = { 30, 20 };
    (void)self;
    fd_weight(p, "normal", 2, n, fd_init_normal(.25));
    fd_weight(p, "uniform", 2, n, fd_init_uniform(-1, 3));
    fd_weight(p, "five", 2, n, fd_init_constant(5));
    fd_weight(p, "eye", 2, (int[]){ 20, 20 }, fd_init_identity());
    return x;
}

static void test_first_law(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_net *net = fd_net_define(&a, drawn, NULL, &s, fd_seed(6));
    fd_real z[600], u[600];
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    fd_normal(fd_stream(fd_seed(6), 'w', 0), 600, z);
    fd_uniform(fd_stream(fd_seed(6), 'w', 1), 600, u);
    int same = 1;
    for (int i = 0; i < 600; i++)
        same &= net->w[i] == (fd_real)(.25 * (double)z[i])
             && fabs((double)net->w[600 + i] - (4 * (double)u[i] - 1)) < 1e-6
             && net->w[1200 + i] == 5;
    for (int i = 0; i < 400; i++) same &= net->w[1800 + i] == (i % 21 == 0);
    OK(same, "first values");
}

/* The library's own FNO written by hand: the same names and shapes of weights, the same output bit
 * by bit, and by fd_net_model the same predictions and vjp. */
static fd_var *fno(fd_pass *p, fd_var *x, const void *self)
{
    fd_var *h = fd_dense_layer(p, "lift0", fd_channels_last(p, x), 1, W);
    (void)self;
    for (int l = 0; l < 2; l++) {
        fd_scope(p, "layer", l);
        h = fd_spectral_layer(p, "", h, W, W, (int[]){ 2 }, l ? FD_IDENTITY : FD_GELU);
    }
    fd_scope(p, NULL, 0);
    return fd_channels_first(p, fd_dense_layer(p, "proj0", h, W, 1));
}

static void test_by_hand(fd_arena a)
{
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = W,
                           .layers = 2, .fno = { .modes = { 5 }, .lift = -1, .proj = -1 } };
    fd_space s = fd_grid(&a, 1, (int[]){ 12 }, NULL, NULL, 1);
    fd_net *net[2] = { fd_net_new(&a, &arch, fd_seed(1)),
                       fd_net_define(&a, fno, NULL, &s, fd_seed(2)) };
    if (!net[0] || !net[1]) { OK(0, "%s", explain(a.st)); return; }
    OK(net[0]->count == net[1]->count && net[0]->parts == net[1]->parts, "as many weights");
    for (int i = 0; i < net[0]->parts; i++)
        OK(!strcmp(net[0]->part[i].name, net[1]->part[i].name)
           && net[0]->part[i].at == net[1]->part[i].at, "%s", net[1]->part[i].name);
    memcpy(net[1]->w, net[0]->w, (size_t)net[0]->count * sizeof *net[0]->w);
    fd_real *x = normals(&a, 3, 24), *dy = normals(&a, 4, 24), y[2][24], dx[2][24];
    for (int k = 0; k < 2; k++) {
        fd_model m = fd_net_model(&a, net[k], FD_X0);
        m.eval(m.self, &s, 2, x, time, y[k], a);
        m.vjp(m.self, &s, 2, x, time, dy, dx[k], a);
    }
    OK(!memcmp(y[0], y[1], sizeof *y) && !memcmp(dx[0], dx[1], sizeof *dx), "the same bits");
    OK(!a.st->code, "%s", explain(a.st));
}

/* A linear spectral layer is one operator on all grids. */
static fd_var *linear(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    fd_var *h = fd_spectral_layer(p, "op", fd_channels_last(p, x), 2, 2, (int[]){ 2, 1 },
                                  FD_IDENTITY);
    return fd_channels_first(p, h);
}

static void test_two_grids(fd_arena a)
{
    const int n[2][2] = { { 6, 8 }, { 18, 24 } };
    fd_space s[2];
    for (int g = 0; g < 2; g++) s[g] = fd_grid(&a, 2, n[g], NULL, NULL, 2);
    fd_net *net = fd_net_define(&a, linear, NULL, &s[0], fd_seed(1));
    fd_real *u = fd_new(&a, fd_real, 2 * s[0].modes), *x[2], *y[3];
    int j[3];
    for (int g = 0; g < 2; g++) x[g] = fd_raw(&a, fd_real, fd_size(&s[g]));
    for (int g = 0; g < 3; g++) y[g] = fd_raw(&a, fd_real, fd_size(&s[g > 0]));
    fd_normal(fd_seed(2), 2 * s[0].modes, u);
    for (ptrdiff_t k = 0; k < 2 * s[0].modes; k++)
        if (fd_mode(&s[0], k % s[0].modes, j)) u[k] = 0;
    fd_from_modes(&s[0], 1, u, x[0], a);
    fd_resample(&s[0], &s[1], 1, x[0], x[1], a);
    for (int g = 0; g < 2; g++) {
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *v = fd_input(&t, 3, (int[]){ 1, 2, (int)s[g].points }, x[g]);
        v = fd_forward(net, &t, &s[g], v, NULL);
        if (v) memcpy(y[g], v->x, (size_t)fd_size(&s[g]) * sizeof *u);
        fd_tape_end(&t);
    }
    fd_resample(&s[0], &s[1], 1, y[0], y[2], a);
    NEAR(test_rel(fd_size(&s[1]), y[2], y[1]), 0, TOL(1e-13, 2e-6), "one operator on two grids");
    OK(!a.st->code, "%s", explain(a.st));
}

/* Labels and queries reach the page. */
static void test_reach(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 2);
    fd_space to = fd_grid(&a, 1, (int[]){ 4 }, NULL, NULL, 1);
    fd_net *net = fd_net_define(&a, every, &labels, &s, fd_seed(3));
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_real *more = net ? normals(&a, 5, net->count) : NULL;
    for (ptrdiff_t i = 0; more && i < net->count; i++) net->w[i] += (fd_real).1 * more[i];
    fd_var *x = fd_input(&t, 3, (int[]){ 2, 2, 8 }, normals(&a, 1, 32));
    fd_var *y = fd_forward(net, &t, &s, x, time), *z = fd_query(net, &t, &s, x, time, &to);
    OK(z && z->n[1] == 3 && z->n[2] == 4, "asked for on another grid: %s", explain(a.st));
    for (int i = 0; y && z && i < 24; i++)                 /* its points are every second one */
        NEAR((double)z->x[i], (double)y->x[2 * i], TOL(1e-12, 1e-5), "there, %d", i);
    fd_var *w = fd_forward_label(net, &t, &s, x, time, label);
    OK(y && w && memcmp(y->x, w->x, 24 * sizeof *y->x)
       && !memcmp(y->x + 24, w->x + 24, 24 * sizeof *y->x), "labels: %s", explain(a.st));
    fd_opt *o = fd_opt_new(&a, net, NULL);
    fd_backward(&t, fd_sum_to(&t, fd_map(&t, w, FD_SQUARE), 1, (int[]){ 1 }));
    OK(fd_opt_step(o, net, a.st) > 0, "%s", explain(a.st));
}

#ifndef FD_NO_STDIO
static void test_restore(fd_arena mem)
{
    const char *path = test_path("own.safetensors");
    fd_arena a = mem;
    fd_space s = fd_grid(&a, 1, (int[]){ 8 }, NULL, NULL, 2);
    fd_net *net = fd_net_define(&a, every, &labels, &s, fd_seed(3)), *other, *none = NULL;
    fd_opt *o = fd_opt_new(&a, net, NULL), *back = NULL;
    if (!o) { OK(0, "%s", explain(a.st)); return; }
    for (ptrdiff_t i = 0; i < net->count; i++) net->g[i] = (fd_real)(i % 7 - 3);
    fd_opt_step(o, net, a.st);
    fd_net_save(a.st, path, net, o, NULL, a);
    other = fd_net_define(&a, every, &labels, &s, fd_seed(4));
    size_t size = other ? (size_t)other->count * sizeof *other->w : 0;
    OK(size && memcmp(other->w, net->w, size), "another seed");
    fd_net_restore(&a, path, other, &back);
    OK(back && back->step == 1 && !memcmp(other->w, net->w, size) && !memcmp(back->m, o->m, size)
       && !memcmp(back->avg, o->avg, size), "%s", explain(a.st));
    fd_net_load(&a, path, &none, NULL);
    OK(!none && a.st->code == FD_EDATA && strstr(explain(a.st), "fd_net_define"), "%s",
       explain(a.st));
    a.st->code = FD_OK;
    fd_net *far = fd_net_define(&a, linear, NULL, &s, fd_seed(4));
    fd_real kept = far ? far->w[0] : 0;
    fd_net_restore(&a, path, far, NULL);
    OK(far && a.st->code == FD_EDATA && far->w[0] == kept && strstr(explain(a.st), "arch."), "%s",
       explain(a.st));
    a.st->code = FD_OK;
    const int three = 3;
    other = fd_net_define(&a, every, &three, &s, fd_seed(4));
    fd_net_restore(&a, path, other, NULL);
    OK(a.st->code == FD_EDATA && strstr(explain(a.st), "label"), "%s", explain(a.st));
    a.st->code = FD_OK;
}
#endif

/* Weights by the million are counted in a few kilobytes: planning makes no variables. */
static void test_count(fd_arena mem)
{
    for (int k = FD_FNO_ORIGINAL; k < FD_OWN; k++) {
        const fd_arch arch = { .kind = k, .nd = 2, .in = 1, .out = 1, .width = 512,
                               .grid = { 64, 64 } };
        fd_arena a = mem;
        if (a.end > a.beg + 8192) a.end = a.beg + 8192;
        ptrdiff_t count = fd_net_count(&arch, a);
        OK(count > 500000, "kind %d: %ld weights, %s", k, (long)count, explain(a.st));
        a.st->code = FD_OK;
    }
}

/* ---- Functions that cannot be networks ---- */

static fd_var *early(fd_pass *p, fd_var *x, const void *self)
{
    fd_var *h = fd_dense_layer(p, "one", fd_channels_last(p, x), 2, W);
    (void)self;
    if (!h) return NULL;
    return fd_channels_first(p, fd_dense_layer(p, "two", h, W, 1));
}

static fd_var *twice(fd_pass *p, fd_var *x, const void *self)
{
    fd_var *h = fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 2);
    (void)self;
    return fd_channels_first(p, fd_dense_layer(p, "one", h, 2, 2));
}

static fd_var *gridded(fd_pass *p, fd_var *x, const void *self)
{
    const int n = (int)p->s->points;
    (void)self;
    return fd_mul(p->t, x, fd_weight(p, "mask", 1, &n, fd_init_constant(1)));
}

static fd_var *wrong_end(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    return fd_channels_first(p, fd_dense_layer(p, "one", fd_channels_last(p, x), 3, 1));
}

static fd_var *wrong_shape(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    return fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 1);
}

static fd_var *nothing(fd_pass *p, fd_var *x, const void *self)
{
    (void)p, (void)self;
    return x;
}

static fd_var *long_name(fd_pass *p, fd_var *x, const void *self)
{
    const char *name = "a name that is longer than any name may be in here";
    (void)self;
    return fd_channels_first(p, fd_dense_layer(p, name, fd_channels_last(p, x), 2, 1));
}

static fd_var *long_scope(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    fd_scope(p, "a scope that is longer than twenty letters", 0);
    return fd_channels_first(p, fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 1));
}

static fd_var *empty(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    fd_weight(p, "none", 2, (int[]){ 3, -1 }, fd_init_constant(0));
    return fd_channels_first(p, fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 1));
}

/* weights that become more, or fewer, each time that it runs */
static int runs;
static fd_var *more(fd_pass *p, fd_var *x, const void *self)
{
    char name[16];
    (void)self;
    runs++;
    for (int i = 0; i < 100 * runs; i++) {
        sprintf(name, "w%d", i);
        fd_weight(p, name, 1, (int[]){ 1000 }, fd_init_constant(0));
    }
    return fd_channels_first(p, fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 1));
}

static fd_var *fewer(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    if (!runs++) fd_weight(p, "first", 1, (int[]){ 3 }, fd_init_constant(0));
    return fd_channels_first(p, fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 1));
}

static fd_var *heads(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    return fd_channels_first(p, fd_attention_block(p, fd_channels_last(p, x), 2, 3, 4));
}

static fd_var *cross(fd_pass *p, fd_var *x, const void *self)
{
    fd_var *h = fd_channels_last(p, x);
    (void)self;
    return fd_channels_first(p, fd_cross_block(p, h, h, 2, 3, 4));
}

static fd_var *no_name(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    return fd_channels_first(p, fd_dense_layer(p, NULL, fd_channels_last(p, x), 2, 1));
}

static fd_var *no_name_mlp(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    return fd_channels_first(p, fd_mlp(p, NULL, fd_channels_last(p, x), 2, 3, 1, FD_GELU));
}

/* a weight whose law is self */
static fd_var *lawless(fd_pass *p, fd_var *x, const void *self)
{
    return fd_mul(p->t, x, fd_weight(p, "scale", 1, (int[]){ 1 }, *(const fd_init *)self));
}

static void test_refused(fd_arena mem)
{
    static const struct { fd_network *page; const char *says; } bad[] = {
        { early, "two.w" }, { twice, "one.w" }, { wrong_end, "last axis" },
        { wrong_shape, "[b][out][points]" }, { nothing, "no weights" }, { long_name, "46 letters" },
        { long_scope, "20 letters" }, { heads, "heads" }, { NULL, "a function and a space" },
        { empty, "no entries: none" }, { more, "the same weights" },
        { fewer, "the same weights" }, { cross, "fd_cross_block: heads" },
        { no_name, "fd_weight: a weight must have a name" }, { no_name_mlp, "fd_mlp: no such map" }
    };
    const fd_init law[] = { fd_init_normal(NAN), fd_init_constant(INFINITY),
                            fd_init_uniform(-INFINITY, 1), { 4, 0, 1 }, { -1, 0, 1 },
                            fd_init_normal(2) };
    fd_space s[2];
    for (int g = 0; g < 2; g++) s[g] = fd_grid(&mem, 1, (int[]){ 8 << g }, NULL, NULL, 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fd_arena a = mem;
        runs = 0;
        fd_net *net = fd_net_define(&a, bad[i].page, NULL, &s[0], fd_seed(1));
        OK(!net && a.st->code && strstr(explain(a.st), bad[i].says), "%s: %s", bad[i].says,
           explain(a.st));
        a.st->code = FD_OK;
    }
    for (int i = 0; i < 6; i++) {
        fd_arena a = mem;
        fd_net *net = fd_net_define(&a, lawless, &law[i], &s[0], fd_seed(1));
        OK(i == 5 ? net && !a.st->code : !net && a.st->code == FD_EARG
           && strstr(explain(a.st), "fd_weight: first values"), "law %d: %s", i, explain(a.st));
        a.st->code = FD_OK;
    }
    fd_net *net = fd_net_define(&mem, gridded, NULL, &s[0], fd_seed(1));
    fd_tape t = fd_tape_begin(&mem, FD_EVAL);
    fd_var *x = fd_input(&t, 3, (int[]){ 1, 2, 16 }, normals(&mem, 1, 32));
    fd_var *y = fd_forward(net, &t, &s[1], x, NULL);
    OK(net && !y && strstr(explain(mem.st), "mask"), "%s", explain(mem.st));
    mem.st->code = FD_OK;
    fd_space fine = fd_grid(&mem, 1, (int[]){ 8 }, NULL, NULL, 2);
    net = fd_net_define(&mem, every, &labels, &fine, fd_seed(1));
    x = fd_input(&t, 3, (int[]){ 1, 2, 8 }, normals(&mem, 1, 16));
    y = fd_forward(net, &t, &fine, x, NULL);
    OK(net && !y && strstr(explain(mem.st), "times"), "%s", explain(mem.st));
    mem.st->code = FD_OK;
}

/* nothing; two functions for one; no axis of channels; a weight that gets another axis later */
static fd_var *answers(fd_pass *p, fd_var *x, const void *self)
{
    fd_var *y = fd_channels_first(p, fd_dense_layer(p, "one", fd_channels_last(p, x), 2, 1));
    switch (*(const int *)self) {
    case 0: return NULL;
    case 1: return fd_concat(p->t, y, y, 0);
    case 2: return fd_reshape(p->t, y, 2, (int[]){ p->b, (int)p->s->points });
    default: fd_weight(p, "grows", runs++ < 3 ? 1 : 2, (int[]){ 2, 2 }, fd_init_constant(0));
    }
    return y;
}

static void test_answers(fd_arena mem)
{
    static const char *const says[] = {
        "fd_net_define: the function must give [b][out][points]: axes, points; its last axis: "
        "0, 8, 0",
        "fd_net_define: the function must give [b][out][points]: axes, points; its last axis: "
        "3, 8, 8",
        "fd_net_define: the function must give [b][out][points]: axes, points; its last axis: "
        "2, 8, 8",
        "fd_weight: planned with another shape, which may depend on no function and no grid: "
        "grows" };
    fd_space s = fd_grid(&mem, 1, (int[]){ 8 }, NULL, NULL, 2), bad[3] = { s, s, s };
    for (int k = 0; k < 4; k++) {
        fd_arena a = mem;
        runs = 0;
        OK(!fd_net_define(&a, answers, &k, &s, fd_seed(1)) && !strcmp(explain(a.st), says[k]),
           "%d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
    bad[0].nd = 0, bad[1].nd = 4, bad[2].points = 0;
    for (int k = 0; k < 3; k++) {
        fd_arena a = mem;
        OK(!fd_net_define(&a, answers, &k, &bad[k], fd_seed(1))
           && strstr(explain(a.st), "a function and a space"), "space %d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
}

/* A network that looks at one point at a time gives on a cloud what it gives on the grid. */
static void test_cloud(fd_arena a)
{
    enum { N = 8 };
    const int what = 4, order[N] = { 3, 0, 7, 1, 6, 2, 5, 4 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 2);
    fd_net *net = fd_net_define(&a, answers, &what, &s, fd_seed(1));
    fd_real *x = normals(&a, 1, 2 * N), moved[2 * N], ones[N];
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    for (int i = 0; i < 2 * N; i++) moved[i] = x[i / N * N + order[i % N]], ones[i % N] = 1;
    fd_space cloud = fd_dense(NULL, N, 1, ones, ones, 2);
    cloud.at = ones;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, (int[]){ 1, 2, N }, x), NULL);
    fd_var *z = fd_forward(net, &t, &cloud, fd_input(&t, 3, (int[]){ 1, 2, N }, moved), NULL);
    for (int i = 0; i < N && y && z; i++) OK(z->x[i] == y->x[order[i]], "point %d", i);
    OK(y && z, "%s", explain(a.st));
}

/* The gradient of the weights of a spectral layer is the same whether or not that of its input is
 * asked for. */
static void test_first_layer(fd_arena a)
{
    fd_space s = fd_grid(&a, 2, (int[]){ 6, 8 }, NULL, NULL, 2);
    fd_net *net = fd_net_define(&a, linear, NULL, &s, fd_seed(1));
    fd_real *x = normals(&a, 1, 96), *g[2];
    const int n[3] = { 1, 2, 48 };
    if (!net) { OK(0, "%s", explain(a.st)); return; }
    for (int k = 0; k < 2; k++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *u = k ? fd_param(&t, 3, n, x, NULL) : fd_input(&t, 3, n, x);
        memset(net->g, 0, (size_t)net->count * sizeof *x);
        fd_backward(&t, fd_map(&t, fd_forward(net, &t, &s, u, NULL), FD_SQUARE));
        fd_tape_end(&t);
        g[k] = fd_raw(&a, fd_real, net->count);
        if (g[k]) memcpy(g[k], net->g, (size_t)net->count * sizeof *x);
    }
    OK(g[1] && g[0][3] != 0 && !memcmp(g[0], g[1], (size_t)net->count * sizeof *x), "%s",
       explain(a.st));
}

/* A block that is used wrongly, in one of so many ways. */
static fd_space other[2];                              /* two axes; points without coordinates */
static fd_var *misused(fd_pass *p, fd_var *x, const void *self)
{
    static const char letters[] = "a name of 41 letters, which is one letter";
    fd_tape *t = p->t;
    const int one = 1, what = *(const int *)self;
    const fd_init zero = fd_init_constant(0);
    fd_var *h = fd_channels_last(p, x), *e = fd_time_embedding(p, 6, 1), *u = NULL;
    switch (what) {
    case 0: u = fd_channels_last(p, fd_reshape(t, x, 4, (int[]){ 1, 2, 2, 4 })); break;
    case 1: u = fd_film_layer(p, "f", h, 2, fd_reshape(t, e, 1, (int[]){ 6 }), 6); break;
    case 2: u = fd_film_layer(p, "f", h, 2, fd_reshape(t, e, 3, (int[]){ 1, 1, 6 }), 6); break;
    case 3: u = fd_film_layer(p, "f", h, 2, e, 5); break;
    case 4: u = fd_film_layer(p, "f", h, 3, e, 6); break;
    case 5: u = fd_spectral_layer(p, "s", h, 2, 2, (int[]){ 1 }, 0); break;
    case 6: u = fd_spectral_layer(p, "s", h, 2, 2, (int[]){ 1 }, FD_MAPS); break;
    case 7: u = fd_spectral_layer(p, "s", h, 2, 2, (int[]){ -1 }, FD_GELU); break;
    case 8: u = fd_spectral_layer(p, "s", h, 2, 2, (int[]){ 65537 }, FD_GELU); break;
    case 9:
        h = fd_reshape(t, h, 2, (int[]){ 8, 2 });
        u = fd_spectral_layer(p, "s", h, 2, 2, &one, FD_GELU);
        break;
    case 10: u = fd_spectral_layer(p, "s", h, 3, 2, (int[]){ 1 }, FD_GELU); break;
    case 11: u = fd_mlp(p, "mlp", h, 2, 3, 2, 0); break;
    case 12: u = fd_mlp(p, "mlp", h, 2, 3, 2, FD_MAPS); break;
    case 13: u = fd_mlp(p, letters, h, 2, 3, 2, FD_GELU); break;
    case 14: u = fd_mlp(p, "mlp", h, 3, 3, 2, FD_GELU); break;
    case 15: u = fd_norm_layer(p, "n", h, 3, 0); break;
    case 16: u = fd_attention_block(p, h, 3, 3, 4); break;
    case 17: u = fd_cross_block(p, h, fd_concat(t, h, h, 2), 2, 1, 4); break;
    case 18: u = fd_attention_block(p, h, 2, 0, 4); break;
    case 19: u = fd_coordinates(p, p->s, -1); break;
    case 20: u = fd_coordinates(p, p->s, 17); break;
    case 21: u = fd_coordinates(p, &other[0], 1); break;
    case 22: u = fd_coordinates(p, &other[1], 1); break;
    case 23: u = fd_time_embedding(p, 3, 1); break;
    case 24: u = fd_time_embedding(p, 0, 1); break;
    case 25: u = fd_label_embedding(p, 0, 2); break;
    case 26: u = fd_label_embedding(p, 65536, 2); break;
    case 27: u = fd_weight(p, "number", 0, NULL, zero); break;
    case 28: u = fd_weight(p, "deep", 7, (int[]){ 1, 1, 1, 1, 1, 1, 1 }, zero); break;
    case 29: u = fd_norm_layer(p, "n", h, 2, -1); break;
    default: u = fd_dense_layer(p, "d", fd_sum_to(t, h, 0, NULL), 2, 2);
    }
    return fd_channels_first(p, fd_dense_layer(p, "one", u, 2, 1));
}

static void test_misused(fd_arena mem)
{
    static const char *const says[] = {
        "fd_channels_last: wants x [b][ch][points]: axes: 4",
        "fd_film_layer: wants e [b][width]: axes: 1",
        "fd_film_layer: wants e [b][width]: axes: 3",
        "fd_film_layer: the last axis is not what was said: its length, said: 6, 5",
        "fd_film_layer: the last axis is not what was said: its length, said: 2, 3",
        "fd_spectral_layer: no such map: 0", "fd_spectral_layer: no such map: 15",
        "fd_spectral_layer: modes must be 0..65536: axis, modes: 0, -1",
        "fd_spectral_layer: modes must be 0..65536: axis, modes: 0, 65537",
        "fd_spectral_layer: wants h [b][n..][in]: axes, of h: 1, 2",
        "fd_spectral_layer: the last axis is not what was said: its length, said: 2, 3",
        "fd_mlp: no such map, no numbers inside or a name that is NULL or above 40 letters: map, "
        "inside, letters: 0, 3, 3",
        "fd_mlp: no such map, no numbers inside or a name that is NULL or above 40 letters: map, "
        "inside, letters: 15, 3, 3",
        "fd_mlp: no such map, no numbers inside or a name that is NULL or above 40 letters: map, "
        "inside, letters: 11, 3, 41",
        "fd_mlp: the last axis is not what was said: its length, said: 2, 3",
        "fd_norm_layer: the last axis is not what was said: its length, said: 2, 3",
        "fd_attention_block: the last axis is not what was said: its length, said: 2, 3",
        "fd_cross_block: the last axis is not what was said: its length, said: 4, 2",
        "fd_attention_block: heads do not divide the width: 0, 2",
        "fd_coordinates: pairs must be 0..16, are: -1",
        "fd_coordinates: pairs must be 0..16, are: 17",
        "fd_coordinates: wants a grid, or points with coordinates: axes of the network, of the "
        "space: 1, 2",
        "fd_coordinates: wants a grid, or points with coordinates: axes of the network, of the "
        "space: 1, 0",
        "fd_time_embedding: wants times, one for each function, and an even width: width: 3",
        "fd_time_embedding: wants times, one for each function, and an even width: width: 0",
        "fd_label_embedding: labels must be 1..65535, are: 0",
        "fd_label_embedding: labels must be 1..65535, are: 65536",
        "fd_weight: wants 1 to 6 axes: number", "fd_weight: wants 1 to 6 axes: deep",
        "fd_groupnorm: groups do not divide the channels: -1, 2",
        "fd_dense_layer: the last axis is not what was said: its length, said: 1, 2" };
    static const fd_real basis[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    fd_space s = fd_grid(&mem, 1, (int[]){ 8 }, NULL, NULL, 2);
    other[0] = fd_grid(&mem, 2, (int[]){ 4, 2 }, NULL, NULL, 2);
    other[1] = fd_dense(NULL, 8, 1, basis, basis, 2);
    for (int k = 0; k < (int)(sizeof says / sizeof *says); k++) {
        fd_arena a = mem;
        fd_net *net = fd_net_define(&a, misused, &k, &s, fd_seed(1));
        OK(!net && !strcmp(explain(a.st), says[k]), "%d: %s", k, explain(a.st));
        a.st->code = FD_OK;
    }
}

void test_define(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    test_gradients(a);
    test_first_law(a);
    test_by_hand(a);
    test_two_grids(a);
    test_reach(a);
#ifndef FD_NO_STDIO
    test_restore(a);
#endif
    test_count(a);
    test_refused(a);
    test_misused(a);
    test_answers(a);
    test_cloud(a);
    test_first_layer(a);
    OK(!st.code, "%s", explain(&st));
}
