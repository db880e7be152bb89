/* match.c -- from trousers to dresses, from sneakers to boots: bridge matching between two sets of
 * images.
 *
 * The reference process is dX = dW on functions, W with a covariance Q, 0 <= t <= 1. A network says
 * of X_t which end to expect, from pairs of ends joined by its bridges; the drift of the bridge
 * towards what is expected carries the one law to the other. Iterated [DBFS], the Schroedinger
 * bridge by iterative Markovian fitting: pairs are made by following one direction, the other is
 * learned from them, in turn, so that what is matched is not just any dress but a near one. The
 * process belongs to functions, and the same network, source and noise make the same path on 56x56
 * points.
 *
 *     gunzip -c /usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz >build/data/labels
 *     build/match build/data/fashion-mnist build/data/labels 1 3 [STEPS of each training, 1500]
 *
 * writes out/match-1-3.png (labels: 1 trousers, 3 dresses, 7 sneakers, 9 boots) and prints after
 * each training how far the ends are from the real ones (Frechet distance on 32 principal
 * components of 28x28 points, beside that of two real sets) and from where they started. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SIDE = 28, SIZE = SIDE * SIDE, B = 16, PAIRS = 512, K = 25, ROUNDS = 2, SHOW = 8,
       FRAMES = 5, MOST = 8000 };

typedef struct { fd_space s; fd_linear l; } stage;

/* the grid of n x n points and the process on it */
static stage stage_on(fd_arena *a, int n)
{
    stage g;
    g.s = fd_grid(a, 2, (int[]){ n, n }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, 1);
    g.l = fd_linear_heat(a, fd_cov_matern(a, &g.s, .3, .1, 1), 0, 0, 1);
    return g;
}

/* expect -- what the network says of the end of b states at time t. */
static void expect(const fd_net *net, const fd_space *s, double t, int b, const fd_real *x,
                   fd_real *end, fd_arena a)
{
    double time[B];
    for (int i = 0; i < b; i++) time[i] = t;
    fd_tape tape = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &tape, s, fd_input(&tape, 3, (int[]){ b, 1, (int)s->points }, x),
                           time);
    if (y) memcpy(end, y->x, (size_t)b * (size_t)s->points * sizeof *end);
}

/* follow -- n states from t = 0 to 1 by the network; frames, where not NULL, [FRAMES][n][points]
 * along the way. */
static void follow(const fd_net *net, const stage *g, fd_rng r, int n, fd_real *x, fd_real *frames,
                   fd_arena a)
{
    const ptrdiff_t size = g->s.points;
    fd_real *end = fd_raw(&a, fd_real, B * size), *xi = fd_raw(&a, fd_real, B * size);
    for (int i = 0; xi && i < n; i += B) {
        int b = n - i < B ? n - i : B;
        for (int k = 0; k < K; k++) {
            expect(net, &g->s, (double)k / K, b, x + i * size, end, a);
            fd_cov_draw(g->l.noise, fd_stream(r, 'k', (uint32_t)k), i, b, xi, a);
            for (int f = 0; frames && f < FRAMES; f++)
                if (k == f * K / FRAMES)
                    memcpy(frames + ((ptrdiff_t)f * n + i) * size, x + i * size,
                           (size_t)(b * size) * sizeof *x);
            if (k < K - 1)
                fd_bridge_step(&g->l, (double)k / K, (k + 1.) / K, b, x + i * size, end, xi, a);
            else memcpy(x + i * size, end, (size_t)(b * size) * sizeof *x);
        }
    }
}

/* train -- the network on bridges between pairs from [m], to [m]; order 1: any with any. */
static void train(fd_net *net, fd_opt *opt, const stage *g, int m, const fd_real *from, int n,
                  const fd_real *to, int paired, int steps, fd_rng r, fd_arena a)
{
    fd_real *x = fd_raw(&a, fd_real, B * SIZE), *end = fd_raw(&a, fd_real, B * SIZE);
    fd_real *xi = fd_raw(&a, fd_real, B * SIZE), u[B], one[SIZE];
    double t[B];
    for (int step = 0; xi && step < steps && !a.st->code; step++) {
        fd_rng now = fd_stream(r, 's', (uint32_t)step);
        fd_uniform(fd_stream(now, 't', 0), B, u);
        fd_cov_draw(g->l.noise, fd_stream(now, 'w', 0), 0, B, xi, a);
        for (int i = 0; i < B; i++) {
            int j = (int)fd_index(fd_stream(now, 'i', 0), (uint64_t)i, (uint64_t)m);
            int k = paired ? j : (int)fd_index(fd_stream(now, 'j', 0), (uint64_t)i, (uint64_t)n);
            memcpy(x + i * SIZE, from + (ptrdiff_t)j * SIZE, sizeof one);
            memcpy(end + i * SIZE, to + (ptrdiff_t)k * SIZE, sizeof one);
            t[i] = fmax(1e-6, (double)u[i] * (1 - .5 / K));
        }
        fd_bridge_draw(&g->l, B, t, x, end, xi, x, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *in = fd_input(&tape, 3, (int[]){ B, 1, SIZE }, x);
        fd_var *y = fd_forward(net, &tape, &g->s, in, t);
        fd_backward(&tape, fd_mse_loss(&tape, &g->s, y, end, NULL));
        fd_tape_end(&tape);
        fd_opt_step(opt, net, a.st);
    }
}

static double apart(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]) / (double)n;
    return sqrt(sum);
}

/* gather -- the images of a label as functions from -1 to 1, x [MOST][SIZE]; returns how many. */
static int gather(const fd_array *images, const fd_array *labels, int label, fd_real *x)
{
    int m = 0;
    for (int i = 0; x && i < labels->n[0] && m < MOST; i++) {
        if (labels->x[i] != label) continue;
        for (int j = 0; j < SIZE; j++)
            x[m * SIZE + j] = (fd_real)((double)images->x[(ptrdiff_t)i * SIZE + j] / 127.5 - 1);
        m++;
    }
    return m;
}

/* picture -- the way of SHOW images from, and where it ends on 56x56 points, as a file. */
static void picture(const fd_net *net, const stage *g, const fd_real *from, const char *path,
                    fd_arena a)
{
    enum { ZOOM = 3, STEP = SIDE * ZOOM + 4 };
    static const char *const head[FRAMES + 2] = { "t = 0", ".2", ".4", ".6", ".8", "end", "56x56" };
    const stage fine = stage_on(&a, 2 * SIDE);
    fd_real *frames = fd_raw(&a, fd_real, FRAMES * SHOW * SIZE);
    fd_real *x = fd_raw(&a, fd_real, SHOW * SIZE), *xf = fd_raw(&a, fd_real, SHOW * 4 * SIZE);
    plot_canvas c = plot_new(&a, SHOW * STEP + 28, (FRAMES + 2) * STEP);
    if (a.st->code) return;
    memcpy(x, from, SHOW * SIZE * sizeof *x);
    fd_resample(&g->s, &fine.s, SHOW, x, xf, a);
    follow(net, g, fd_seed(40), SHOW, x, frames, a);
    follow(net, &fine, fd_seed(40), SHOW, xf, NULL, a);
    for (int f = 0; f < FRAMES + 2; f++) {
        plot_text(&c, 6, f * STEP + 4, 2, head[f]);
        for (int i = 0; i < SHOW && f <= FRAMES; i++)
            plot_image(&c, 28 + i * STEP, f * STEP, SIDE, SIDE,
                       f < FRAMES ? frames + (f * SHOW + i) * SIZE : x + i * SIZE, -1, 1, FD_GRAY,
                       ZOOM);
    }
    for (int i = 0; i < SHOW; i++)
        for (int v = 0; v < SIDE * ZOOM; v++)
            for (int w = 0; w < SIDE * ZOOM; w++) {
                const fd_real *at = xf + i * 4 * SIZE + v * 2 / ZOOM * 2 * SIDE + w * 2 / ZOOM;
                unsigned char rgb[3];
                fd_colour(FD_GRAY, ((double)*at + 1) / 2, rgb);
                plot_dot(&c, 28 + i * STEP + v, (FRAMES + 1) * STEP + w, rgb);
            }
    fd_png_save(a.st, path, c.h, c.w, c.rgb);
}

int main(int argc, char **argv)
{
    const size_t room = (size_t)3 << 30;
    fd_status st;
    void *mem = malloc(room);
    fd_arena a = fd_arena_over(mem, room, &st);
    int label[2], m[2] = { 0, 0 }, steps = argc > 5 ? atoi(argv[5]) : 1500;
    if (argc < 5 || argc > 6 || steps < 1 || !mem)
        return fprintf(stderr, "usage: match IMAGES LABELS FROM TO [STEPS], with 3 GB of "
                               "memory\n"), 2;
    fd_array images = fd_load(&a, argv[1]), labels = fd_load(&a, argv[2]);
    char why[200], path[64];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "match: %s\n", why), 1;
    if (images.nd != 3 || images.n[1] != SIDE || images.n[2] != SIDE || labels.nd != 1
        || labels.n[0] != images.n[0])
        return fprintf(stderr, "match: wants images of 28x28 and a label for each\n"), 1;
    fd_real *set[2], *start = fd_raw(&a, fd_real, 2 * PAIRS * SIZE), *made = start + PAIRS * SIZE;
    for (int e = 0; e < 2; e++) {
        label[e] = atoi(argv[3 + e]);
        set[e] = fd_raw(&a, fd_real, MOST * SIZE);
        m[e] = gather(&images, &labels, label[e], set[e]);
        if (m[e] < 2 * PAIRS)
            return fprintf(stderr, "match: label %d has %d images, too few\n", label[e], m[e]), 1;
    }
    stage g = stage_on(&a, SIDE);
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 32, .layers = 4,
                     .grid = { SIDE, SIDE }, .time = FD_TIME_FILM,
                     .fno = { .modes = { 12, 12 }, .stencil = 3 } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 3e-3, adam.warmup = 50, adam.steps = ROUNDS * steps, adam.clip = 1, adam.ema = .99;
    fd_net *net[2], *avg[2];
    fd_opt *opt[2];
    for (int e = 0; e < 2; e++) {
        net[e] = fd_net_new(&a, &arch, fd_seed((uint64_t)e));
        opt[e] = fd_opt_new(&a, net[e], &adam);
        avg[e] = opt[e] ? fd_net_with(&a, net[e], opt[e]->avg) : NULL;
    }
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "match: %s\n", why), 1;
    printf("%d of label %d, %d of label %d; two real sets of %d: Frechet %.4f\n", m[0], label[0],
           m[1], label[1], PAIRS,
           fd_frechet(&g.s, 32, PAIRS, set[1], PAIRS, set[1] + PAIRS * SIZE, a));
    for (int round = 0; round < 2 * ROUNDS && !st.code; round++) {  /* forward, backward in turn */
        int e = round % 2;
        if (!round) train(net[0], opt[0], &g, m[0] - PAIRS, set[0] + PAIRS * SIZE, m[1] - PAIRS,
                          set[1] + PAIRS * SIZE, 0, steps, fd_seed(20), a);
        else train(net[e], opt[e], &g, PAIRS, made, PAIRS, start, 1, steps,
                   fd_seed(20 + (uint64_t)round), a);
        memcpy(start, set[e], PAIRS * SIZE * sizeof *start);
        memcpy(made, start, PAIRS * SIZE * sizeof *start);
        follow(avg[e], &g, fd_seed(30 + (uint64_t)round), PAIRS, made, NULL, a);
        printf("%s, training %d: Frechet to the real ones %.4f; moved by %.3f (a random pair: "
               "%.3f)\n", e ? "backward" : "forward", round / 2 + 1,
               fd_frechet(&g.s, 32, PAIRS, made, PAIRS, set[1 - e], a),
               apart(PAIRS * SIZE, made, start), apart(PAIRS * SIZE, set[0], set[1]));
        fflush(stdout);
    }
    mkdir("out", 0777);
    snprintf(path, sizeof path, "out/match-%d-%d.png", label[0], label[1]);
    picture(avg[0], &g, set[0], path, a);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "match: %s\n", why), 1;
    printf("wrote %s\n", path);
    return 0;
}
