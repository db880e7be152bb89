/* outlines.c -- clothes as signed distances, as in the second release of [DDO]: trained on 28x28
 * points, drawn on 28x28 to 224x224, and crisp on each, because what is learned is a continuous
 * function whose zeros are the outline.
 *
 *     gunzip -c /usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz >build/data/labels
 *     build/outlines build/data/fashion-mnist build/data/labels [STEPS of each training, 2000]
 *
 * An image is resized bilinearly and cut at half of the brightest, and each point gets its distance
 * to the outline, positive outside. Beside it a network that learned the images themselves, cut at
 * the same value. Whatever a network draws is brought to a foreground on its own grid, then to a
 * signed distance, then to 28x28 points, where a classifier that was trained on signed distances of
 * real images gives the features of a Frechet distance. Everything lands in out/outlines; a run
 * that was stopped goes on. */
#include "classifier.h"
#include "ddo.h"

enum { SIDE = 28, GRIDS = 4, TRAINED = 20000, TESTED = 2048 };
static const int side[GRIDS] = { 28, 56, 112, 224 }, many[GRIDS] = { 256, 96, 48, 16 };

#define NET "--net fno:modes=12,stencil=3 --batch 16 --lr 6e-3"

/* sign: that of the foreground. */
static const struct { const char *name, *model, *train; int sign; } rows[] = {
    { "signed distance", "distance", NET, -1 },
    { "image", "image", NET, 1 },
};
enum { REAL = COUNT(rows), ALL_ROWS };

/* ---- Outlines -------------------------------------------------------------------------------- */

/* resized -- an image of SIDE x SIDE on n x n points, bilinearly between centres of pixels. */
static void resized(const fd_real *x, int n, fd_real *y)
{
    for (int i = 0; i < n * n; i++) {
        const double u = fmin(fmax((i / n + .5) * SIDE / n - .5, 0), SIDE - 1);
        const double v = fmin(fmax((i % n + .5) * SIDE / n - .5, 0), SIDE - 1);
        const int line = (int)u, col = (int)v, right = col < SIDE - 1;
        const fd_real *p = x + line * SIDE + col, *q = line < SIDE - 1 ? p + SIDE : p;
        const double above = (1 - v + col) * (double)p[0] + (v - col) * (double)p[right];
        const double below = (1 - v + col) * (double)q[0] + (v - col) * (double)q[right];
        y[i] = (fd_real)((1 - u + line) * above + (u - line) * below);
    }
}

/* foreground -- where sign x > 0; a side that is empty gets one point, for its distances. */
static void foreground(int n, const fd_real *x, int sign, unsigned char *in)
{
    int count = 0;
    for (int i = 0; i < n * n; i++) count += in[i] = sign * (double)x[i] > 0;
    if (!count) in[n / 2 * n + n / 2] = 1;
    if (count == n * n) in[0] = 0;
}

static void distance_to(int n, const unsigned char *in, fd_real *x, fd_arena a)
{
    double *d = fd_raw(&a, double, n * n);
    need(a.st);
    pde_signed_distance(n, n, in, d, a);
    need(a.st);
    for (int i = 0; i < n * n; i++) x[i] = (fd_real)d[i];
}

/* pieces -- how many parts the foreground has, of points that are neighbours along the axes. */
static int pieces(int n, const unsigned char *in, fd_arena a)
{
    unsigned char *left = fd_raw(&a, unsigned char, n * n);
    int *todo = fd_raw(&a, int, n * n), count = 0;
    need(a.st);
    memcpy(left, in, (size_t)(n * n));
    for (int i = 0; i < n * n; i++) {
        int top = 0;
        if (!left[i]) continue;
        count++, left[i] = 0, todo[top++] = i;
        while (top) {
            const int at = todo[--top], y = at / n, x = at % n;
            const int to[4] = { y ? at - n : at, y < n - 1 ? at + n : at, x ? at - 1 : at,
                                x < n - 1 ? at + 1 : at };
            for (int k = 0; k < 4; k++)
                if (left[to[k]]) left[to[k]] = 0, todo[top++] = to[k];
        }
    }
    return count;
}

/* edge -- length of the outline in sides of the image, by differing neighbours. */
static double edge(int n, const unsigned char *in)
{
    int count = 0;
    for (int i = 0; i < n * n; i++) {
        if (i % n < n - 1) count += in[i] != in[i + 1];
        if (i / n < n - 1) count += in[i] != in[i + n];
    }
    return (double)count / n;
}

typedef struct { double pieces, edge; fd_real *x; } figures;

/* judged -- b functions on n x n points: their foregrounds to in, their distances on SIDE x SIDE
 * points to f.x. */
static figures judged(fd_arena *a, int n, int b, const fd_real *x, int sign, unsigned char *in)
{
    figures f = { 0, 0, fd_raw(a, fd_real, b * SIDE * SIDE) };
    fd_space s = square(a, n, FD_NEUMANN, 1), to = square(a, SIDE, FD_NEUMANN, 1);
    fd_arena m = *a;
    fd_real *y = fd_raw(&m, fd_real, n * n);
    need(a->st);
    for (int i = 0; i < b; i++, in += n * n) {
        foreground(n, x + (ptrdiff_t)i * n * n, sign, in);
        distance_to(n, in, y, m);
        if (n == SIDE) memcpy(f.x + i * n * n, y, (size_t)(n * n) * sizeof *y);
        else fd_resample(&s, &to, 1, y, f.x + i * SIDE * SIDE, m);
        f.pieces += (double)pieces(n, in, m) / b;
        f.edge += edge(n, in) / b;
    }
    need(a->st);
    return f;
}

/* ---- The data -------------------------------------------------------------------------------- */

/* images_read -- the images that have a foreground and a ground, as -1 to 1, with their labels. */
static int images_read(fd_arena *a, char **argv, fd_real **x, fd_real **label)
{
    fd_array f = fd_load(a, argv[1]), y = fd_load(a, argv[2]);
    int m = 0;
    need(a->st);
    if (f.nd != 3 || f.n[1] != SIDE || f.n[2] != SIDE)
        die(1, "%s: wants images of %dx%d", argv[1], SIDE, SIDE);
    if (y.nd != 1 || y.n[0] != f.n[0]) die(1, "%s: not a label for each image", argv[2]);
    for (int i = 0; i < f.n[0]; i++) {
        const fd_real *from = f.x + (ptrdiff_t)i * SIDE * SIDE;
        fd_real *to = f.x + (ptrdiff_t)m * SIDE * SIDE;
        int above = 0;
        const double of = (double)y.x[i];
        if (!(of >= 0 && of < CLASSES && of == floor(of)))
            die(1, "%s: label %d is %g, not 0 to %d", argv[2], i, of, CLASSES - 1);
        for (int j = 0; j < SIDE * SIDE; j++) above += from[j] > 127.5;
        if (!above || above == SIDE * SIDE) continue;
        for (int j = 0; j < SIDE * SIDE; j++) to[j] = (fd_real)((double)from[j] / 127.5 - 1);
        y.x[m++] = y.x[i];
    }
    *x = f.x, *label = y.x;
    return m;
}

/* real_on -- n images on side x side points. */
static fd_real *real_on(fd_arena *a, int to, int n, const fd_real *x)
{
    fd_real *y = fd_raw(a, fd_real, (ptrdiff_t)n * to * to);
    need(a->st);
    for (int i = 0; i < n; i++) resized(x + i * SIDE * SIDE, to, y + (ptrdiff_t)i * to * to);
    return y;
}

/* distances_of -- of n images of SIDE x SIDE. */
static fd_real *distances_of(fd_arena *a, int n, const fd_real *x)
{
    fd_real *y = fd_raw(a, fd_real, (ptrdiff_t)n * SIDE * SIDE);
    unsigned char *in = fd_raw(a, unsigned char, SIDE * SIDE);
    need(a->st);
    for (int i = 0; i < n; i++) {
        foreground(SIDE, x + i * SIDE * SIDE, 1, in);
        distance_to(SIDE, in, y + i * SIDE * SIDE, *a);
    }
    return y;
}

/* ---- The picture: foregrounds, the same functions on all grids ------------------------------ */

static void foregrounds_show(const char *path, unsigned char *in[ALL_ROWS][GRIDS], fd_arena a)
{
    enum { PANEL = 224, LEFT = 12, TOP = 34, LINE = PANEL + 24, WIDE = 2 * PANEL + PLOT_GAP + 18 };
    static const unsigned char cloth[3] = { 40, 60, 110 }, ground[3] = { 236, 236, 230 };
    plot_canvas c = plot_new(&a, TOP + ALL_ROWS * LINE, LEFT + GRIDS * WIDE);
    need(a.st);
    for (int r = 0; r < ALL_ROWS; r++)
        for (int g = 0; g < GRIDS; g++) {
            const int is = r ? r - 1 : REAL, n = side[g];
            const int top = TOP + r * LINE, left = LEFT + g * WIDE;
            char text[32];
            sprintf(text, "%dx%d", n, n);
            if (!r) plot_caption(&c, 6, left, WIDE - 18, 2, text);
            if (!g) plot_text(&c, top, left, 2, is == REAL ? "real images, cut" : rows[is].name);
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < PANEL * PANEL; j++) {
                    const int at = (i * n + j / PANEL * n / PANEL) * n + j % PANEL * n / PANEL;
                    plot_dot(&c, top + 18 + j / PANEL, left + i * (PANEL + PLOT_GAP) + j % PANEL,
                             in[is][g][at] ? cloth : ground);
                }
        }
    fd_png_save(a.st, path, c.h, c.w, c.rgb);
    need(a.st);
    wrote(path);
}

/* ---- The table ------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static char text[4096] = "points,row,n,features,pieces,edge\n";
    static unsigned char *in[ALL_ROWS][GRIDS];
    fd_status st;
    fd_real *image, *label;
    char file[64], more[80];
    const double begin = now();
    start("outlines", argv);
    if (argc < 3) die(2, "needs IMAGES LABELS [STEPS]: files of images and of a label for each");
    args o = settings(argc, argv, 3, 2000);
    fd_arena a = arena_make(&o, &st);
    make_dir("out/outlines");
    int m = images_read(&a, argv, &image, &label);
    if (m < TRAINED + TESTED + many[0])
        die(1, "%s: needs %d images", argv[1], TRAINED + TESTED + many[0]);
    fd_space s = square(&a, SIDE, FD_NEUMANN, 1);
    fd_real *distance = distances_of(&a, TRAINED + TESTED, image);
    const fd_real *test = image + (TRAINED + TESTED) * SIDE * SIDE;
    dataset of_class = data_array("distances", &s, TRAINED, distance);
    fd_net *net = classifier(&a, in_dir("out/outlines", "classifier.safetensors"), &of_class,
                             TRAINED, label, 1);
    fd_real *f = fd_raw(&a, fd_real, TESTED * FEATURES);
    int right = 0;
    need(&st);
    features_of(net, &s, TESTED, distance + TRAINED * SIDE * SIDE, f, label + TRAINED, &right, a);
    printf("classifier: %.1f %% of %d signed distances that it has not seen\n",
           100.0 * right / TESTED, TESTED);
    dataset d[2] = { data_of(&a, "distances", &s, TRAINED, distance),
                     data_of(&a, argv[1], &s, TRAINED, image) };
    printf("\n%-8s %-28s %4s %9s %9s %9s\n", "points", "row", "n", "features", "pieces", "edge");
    for (int i = 0; i < ALL_ROWS; i++) {
        const int r = i ? i - 1 : REAL;
        kit *k = NULL;
        if (r < REAL) {
            sprintf(more, "--steps %d", o.train);
            args q = flags_read(&a, TRAIN, rows[r].train, more);
            sprintf(file, "%s.safetensors", rows[r].model);
            k = model_made(&a, in_dir("out/outlines", file), &q, &d[rows[r].sign > 0]);
        }
        for (int g = 0; g < GRIDS; g++) {
            const int n = side[g];
            const char *name = k ? rows[r].name : "other real images";
            if (k) sprintf(file, "out/outlines/%s-%d.npy", rows[r].model, n);
            const fd_real *x = k ? functions_drawn(&a, file, k, "", n, many[g])
                                 : real_on(&a, n, many[g], test);
            in[r][g] = fd_raw(&a, unsigned char, (ptrdiff_t)many[g] * n * n);
            need(&st);
            figures v = judged(&a, n, many[g], x, k ? rows[r].sign : 1, in[r][g]);
            double far = feature_distance(net, &s, many[g], v.x, TESTED, f, a);
            printf("%-8d %-28s %4d %9.3f %9.2f %9.2f\n", n, name, many[g], far, v.pieces, v.edge);
            fflush(stdout);
            sprintf(text + strlen(text), "%d,\"%s\",%d,%.6g,%.6g,%.6g\n", n, name, many[g], far,
                    v.pieces, v.edge);
        }
    }
    foregrounds_show("out/outlines/outlines.png", in, a);
    text_save("out/outlines/outlines.csv", text);
    printf("%.0f s\n", now() - begin);
    return finish();
}
