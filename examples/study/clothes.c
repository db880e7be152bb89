/* clothes.c -- what was an image, given a part of it? The demo's model, which has learned clothes
 * and nothing of observations, draws from what is possible.
 *
 *     half     the upper half, every point
 *     points   one point in ten
 *     means    over 4x4 squares: super-resolution by 4 in each direction
 *
 * The image was not seen in training (the first of those that the demo holds out). The observation
 * is a functional of the function, not of the pixels, so the same model and the same numbers draw
 * it on 56x56 points as well. From the left: the image, what is known of it, mean and deviation of
 * the draws, four draws, and two on the finer grid.
 *
 * build/clothes --model out/demo/model.safetensors --data build/data/fashion-mnist [--method SPEC,
 * --steps N]: out/clothes.png. --method takes those of fd posterior that want no Gaussian prior. */
#include "posterior.h"

enum { HALF, POINTS, MEANS, TASKS };
enum { PICKED = 2, DRAWS = 16, SHOWN = 4, FINE = 2, COLS = 4 + SHOWN + FINE, CELL = 112, GAP = 4,
       TOP = 26 };
static const int pick[PICKED] = { 1, 7 };              /* of those held out */
/* deviation of an observation; pixels are -1 to 1 */
static const double noise = .05;

/* observe -- the observation of a task, for any grid; known [28][28]: 1 where a value is known. */
static fd_obs observe(fd_arena *a, const fd_space *s, const fd_space *base, int task,
                      fd_real *known)
{
    const int n = base->n[0], w = base->n[1], every = task == MEANS ? 4 : 1;
    double *at = fd_raw(a, double, 2 * n * w), *half = fd_raw(a, double, 2 * n * w);
    int m = 0;
    need(a->st);
    for (int i = 0; i < n * w; i++) {
        int v = i / w, u = i % w, in = v < n / 2;                       /* row, column */
        if (task == POINTS) in = fd_index(fd_seed(5), (uint64_t)i, 10) == 0;
        if (task == MEANS) in = v % every == 0 && u % every == 0;
        known[i] = in || task == MEANS;
        if (!in) continue;
        at[2 * m] = (v + .5 * every) / n, at[2 * m + 1] = (u + .5 * every) / w;
        half[2 * m] = .5 * every / n, half[2 * m + 1] = .5 * every / w;
        m++;
    }
    return task == MEANS ? fd_obs_boxes(a, s, m, at, half, NULL) : fd_obs_points(a, s, m, at, NULL);
}

static args o, f;
static problem q, fine;                                /* on the grid of the model and on 56x56 */
static plot_canvas c;

static void tile(int line, int col, const fd_space *s, const fd_real *x, double lo, double hi,
                 int map)
{
    plot_image(&c, TOP + line * (CELL + GAP), GAP + col * (CELL + GAP), s->n[0], s->n[1], x, lo, hi,
               map, CELL / s->n[1]);
}

/* compare -- a task and image j of the data: a row of the table and a line of the picture. */
static void compare(int line, const dataset *d, int j, fd_arena a)
{
    static const char *const name[TASKS] = { "half", "points", "means" };
    const fd_space *s = &q.s;
    const int task = line / PICKED, size = (int)s->points, ends = (int)fine.s.points;
    double begin = now(), sd = noise, none = 0, lo = 0, hi = 255;
    fd_real *x = fd_raw(&a, fd_real, DRAWS * size), *xf = fd_raw(&a, fd_real, FINE * ends);
    fd_real *truth = fd_raw(&a, fd_real, size), *known = fd_raw(&a, fd_real, size);
    fd_real *mean = fd_raw(&a, fd_real, 2 * size), *y = fd_raw(&a, fd_real, size);
    need(a.st);
    data_take(d, j, truth, a);
    q.o = observe(&a, s, s, task, known), fine.o = observe(&a, &fine.s, s, task, known);
    q.y = fine.y = fd_raw(&a, double, q.o.m);
    obs_units(&q, 0, 0, &none, &sd);
    if (q.k->norm.bytes) sd *= 127.5;
    fd_obs_noise(&a, &q.o, sd), fd_obs_noise(&a, &fine.o, sd);
    need(a.st);
    fd_obs_draw(&q.o, fd_seed(3), line, 1, truth, q.y, a);
    posterior_draw(&q, &o, fd_seed(4), DRAWS, x, a);
    posterior_draw(&fine, &f, fd_seed(4), FINE, xf, a);
    moments_of(size, DRAWS, x, mean, mean + size);
    printf("%-8s %-6d %5d %18.3f %18.3f %12.2f %8.1f\n", name[task], line % PICKED, q.o.m,
           apart(size, mean, truth) / size_of(size, truth),
           size_of(size, mean + size) / size_of(size, truth), misfit_of(&q, DRAWS, x, a),
           now() - begin);
    fflush(stdout);
    memcpy(y, truth, (size_t)size * sizeof *y);
    for (int i = 0; i < size && task == MEANS; i++)
        y[i] = (fd_real)q.y[i / 28 / 4 * 7 + i % 28 / 4];
    to_file(&q.k->norm, s, 1, truth), to_file(&q.k->norm, s, 1, mean);
    to_file(&q.k->norm, s, DRAWS, x), to_file(&q.k->norm, s, 1, y);
    to_file(&fine.k->norm, &fine.s, FINE, xf);
    if (!q.k->norm.bytes) range(size, truth, &lo, &hi);
    for (int i = 0; i < size; i++) if (!known[i]) y[i] = (fd_real)(lo + .35 * (hi - lo));
    tile(line, 0, s, truth, lo, hi, FD_GRAY), tile(line, 1, s, y, lo, hi, FD_GRAY);
    tile(line, 2, s, mean, lo, hi, FD_GRAY);
    tile(line, 3, s, mean + size, 0, .3 * (hi - lo) * fabs(q.k->norm.scale[0]), FD_VIRIDIS);
    for (int i = 0; i < SHOWN; i++) tile(line, 4 + i, s, x + i * size, lo, hi, FD_GRAY);
    for (int i = 0; i < FINE; i++)
        tile(line, 4 + SHOWN + i, &fine.s, xf + i * ends, lo, hi, FD_GRAY);
}

int main(int argc, char **argv)
{
    static const char *const head[COLS] = { "image", "known", "mean", "sd", "draws", "", "", "",
                                            "on 56x56", "" };
    const shape grid = { 2, { 28, 28, 1 } };
    fd_status st;
    char *data = NULL;
    start("clothes", argv);
    for (int i = 1; i + 1 < argc; i++)                     /* not a flag of fd posterior */
        if (!strcmp(argv[i], "--data")) {
            data = argv[i + 1];
            memmove(argv + i, argv + i + 2, (size_t)(argc - i - 1) * sizeof *argv);
            argc -= 2;
            break;
        }
    options_read(&o, POSTERIOR, "posterior --help", argc - 1, argv + 1);
    if (!o.model || !data)
        die(2, "needs --model out/demo/model.safetensors --data build/data/fashion-mnist, as make "
               "demo leaves them");
    if (!is_given("method")) o.method = spec_read(&t_method, "method", "pigdm");
    fd_arena a = arena_make(&o, &st);
    f = o, f.grid = (shape){ 2, { 56, 56, 1 } };
    q = problem_new(&a, &o), fine = problem_new(&a, &f);
    if (q.s.nd != 2 || q.s.ch != 1 || q.s.n[0] != 28 || q.s.n[1] != 28)
        die(1, "%s: not of images of 28x28", o.model);
    dataset d = data_open(&a, data, &o, q.k, grid, grid);
    data_measure(&a, &d, 0, &q.k->norm);
    int *order = fd_raw(&a, int, d.m);
    c = plot_new(&a, TOP + TASKS * PICKED * (CELL + GAP), GAP + COLS * (CELL + GAP));
    need(&st);
    fd_perm(fd_stream(fd_seed(1), 'h', 0), d.m, order);                 /* as demo.c splits them */
    for (int i = 0; i < COLS; i++) plot_text(&c, 6, GAP + i * (CELL + GAP), 2, head[i]);
    printf("%-8s %-6s %5s %18s %18s %12s %8s\n", "known", "image", "m", "error of the mean",
           "deviation", "misfit, sd", "s");
    for (int line = 0; line < TASKS * PICKED; line++)
        compare(line, &d, order[pick[line % PICKED]], a);
    make_dir("out");
    fd_png_save(&st, "out/clothes.png", c.h, c.w, c.rgb);
    need(&st);
    wrote("out/clothes.png");
    return finish();
}
