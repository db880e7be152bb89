/* classifier.h -- a small classifier of images, whose features Frechet distances are taken on. */
#ifndef CLASSIFIER_H
#define CLASSIFIER_H
#include "common.h"

enum { FEATURES = 64, CLASSES = 10 };

/* Three convolutions of 8, 16 and 32 channels with ReLU, means over 2x2 after the first two, a
 * dense layer of FEATURES with ReLU, the features, and one to the classes; softmax and
 * cross-entropy. */

static inline fd_var *halve(fd_tape *t, fd_var *h)
{
    if (!h) return NULL;
    int b = h->n[0], n = h->n[1] / 2, m = h->n[2] / 2, c = h->n[3];
    h = fd_reshape(t, h, 6, (int[]){ b, n, 2, m, 2, c });
    h = fd_affine(t, fd_sum_to(t, h, 6, (int[]){ b, n, 1, m, 1, c }), 0.25, 0);
    return fd_reshape(t, h, 4, (int[]){ b, n, m, c });
}

/* next -- the next weights of a network, of nd axes. */
static inline fd_var *next(fd_tape *t, const fd_net *net, ptrdiff_t *at, int nd, const int n[])
{
    fd_var *w = fd_param(t, nd, n, net->w + *at, net->g + *at);
    if (w) *at += fd_count(w);
    return w;
}

/* classify -- features, and with z the classes, of b images x. count: the weights that it used. */
static inline fd_var *classify(fd_tape *t, const fd_net *net, const fd_space *s, int b,
                               const fd_real *x, fd_var **z, ptrdiff_t *count)
{
    ptrdiff_t at = 0;
    int c = s->ch, flat = (int)(s->points / 16) * 32;
    fd_var *h = fd_permute(t, fd_input(t, 3, (int[]){ b, c, (int)s->points }, x),
                           (int[]){ 0, 2, 1 });
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
static inline void features_of(const fd_net *net, const fd_space *s, int m, const fd_real *x,
                               fd_real *to, const fd_real *y, int *right, fd_arena a)
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
static inline fd_net *classifier(fd_arena *a, const char *path, const dataset *d, int m,
                                 const fd_real *y, uint64_t seed)
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
    if (m < B) die(1, "%s: %d images to learn the classes from, wants %d", d->name, m, B);
    for (int j = 0; j < m; j++)
        if (!(y[j] >= 0 && y[j] < CLASSES))
            die(1, "%s: image %d has the label %g: wants 0 to %d", d->name, j, (double)y[j],
                CLASSES - 1);
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

/* feature_distance -- Frechet of n images x against m whose features are f. */
static inline double feature_distance(const fd_net *net, const fd_space *s, int n, const fd_real *x,
                                      int m, const fd_real *f, fd_arena a)
{
    fd_space fs = fd_grid(&a, 1, (int[]){ FEATURES }, NULL, NULL, 1);
    fd_real *g = fd_raw(&a, fd_real, (ptrdiff_t)n * FEATURES);
    need(a.st);
    features_of(net, s, n, x, g, NULL, NULL, a);
    /* a point of fs weighs 1/FEATURES */
    return FEATURES * fd_frechet(&fs, FEATURES, n, g, m, f, a);
}
#endif
