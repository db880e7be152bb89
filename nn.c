/* nn.c -- a tape of differentiable operators, networks made of them, and the optimiser.
 *
 *   I    the tape and its operators: what they compute, their shapes, their derivatives
 *   II   networks, made of these operators
 *   III  kernels: the loops behind the operators
 *   IV   the optimiser, checkpoints, weights of other programs
 *
 *   y, dy       the value of an operator, and the gradient of the result with respect to it
 *   t           the tape; t->mem its arena, t->mem->st where errors go
 *   vjp         vector-Jacobian product: dx = (dy/dx)^T dy, built from operators of the same tape
 *
 * An operator is a public function that checks shapes, makes its variable with tape_push and
 * computes the value, and a vjp next to it. Nothing depends on the number of threads: large arrays
 * are cut into blocks of a fixed size. */
#define FD_IMPL
#include "fd.h"
#include <limits.h>

/* Work is handed to threads in blocks of this many elements; less than one stays on one thread. */
enum { TAPE_BLOCK = 16384 };

/* ==== Room I: the tape and its operators ====
 *
 * ---- The kernels that operators call ------------------------------------------------------------
 *
 * They are in room III, where each begins with its contract and a plain loop that says the same as
 * the fast one. A build with -DFD_PLAIN has the plain loops alone. */

/* Element functions. Besides the public maps, FD_EXP and so on, f may be the normal distribution
 * function P, its density p or the step function, which derivatives need. MAP_C1 and MAP_C3 belong
 * to FD_GELU_TANH, x sigmoid(x (C1 + C3 x^2)). */
enum { MAP_CDF = FD_MAPS, MAP_PDF, MAP_STEP, MAP_ALL };
#define MAP_C1 1.5957691216057308                     /* sqrt(8/pi) */
#define MAP_C3 0.07135481627260025                    /* 0.044715 sqrt(8/pi) */
/* z = f(x) of n numbers, or, where dy is given, z = dy f'(x), with y = f(x). */
static void map_run(int f, ptrdiff_t n, const fd_real *x, const fd_real *y, const fd_real *dy,
                    fd_real *z);

/* Walks: z = x o y over the entries of a shape, where x and y have a stride for each axis. A walk
 * is made for two operands (walk_over), or axis by axis from the strides of one. */
typedef struct {
    int nd;
    ptrdiff_t n[FD_MAXD], sx[FD_MAXD], sy[FD_MAXD], count;
} op_walk;
enum { WALK_ADD, WALK_MINUS, WALK_MUL, WALK_COPY };
static void walk_axis(op_walk *w, ptrdiff_t n, ptrdiff_t sx, ptrdiff_t sy);
static void walk_strides(const fd_var *x, int nd, ptrdiff_t s[]);
static op_walk walk_over(int nd, const int n[], const fd_var *x, const fd_var *y);
static void walk_run(int kind, const op_walk *w, const fd_real *x, const fd_real *y, fd_real *z);
static void walk_permute(const op_walk *w, const fd_real *x, fd_real *z);

/* Sums over one axis: y[a][j] = sum over r < R of x[a][r][j], where a < A and j < B. */
static void sum_axis(ptrdiff_t A, ptrdiff_t R, ptrdiff_t B, const fd_real *x, fd_real *y,
                     fd_arena scratch);

/* Spectral mixing: T x in the kept modes, T' of modes, and products in the modes. The sizes are
 * those of an operator, which keeps them in aux. */
struct spec {
    int nd, n[3], lo[3], hi[3];       /* axes, points, kept modes lo..hi of each axis */
    int ci, co, b;                    /* channels in and out, samples */
    int each;                         /* 1: a weight for each channel, not a matrix */
    ptrdiff_t points, modes;
    const fd_real *hat[2];            /* T x as rows, T z as pairs (spec_to_rows), or NULL */
};
static void spec_to_modes(const struct spec *s, int ch, int pairs, const fd_real *x, fd_real *h,
                          fd_arena scratch);
static void spec_from_modes(const struct spec *s, int ch, int pairs, const fd_real *h, fd_real *y,
                            fd_arena scratch);
static fd_real *spec_mul(const struct spec *s, const fd_real *p, const fd_real *R,
                         fd_arena *scratch);
static fd_real *spec_mul_adjoint(const struct spec *s, const fd_real *e, const fd_real *R,
                                 fd_arena *scratch);
static void spec_mul_gradient(const struct spec *s, const fd_real *p, const fd_real *e, fd_real *g,
                              fd_arena scratch);

/* Fused layers of networks, which are operators of their own:
 *
 *   fuse_dense   y = x w + b, and with r another r + y
 *   fuse_mlp     y = f(x w1 + b1) w2
 *   fuse_layer   y = f(scale u + shift), u = spectral(h, R) + h w, with scale and shift in ss
 *   fuse_waves   layers h' = sin(scale h w + shift), then y = h last */
static fd_var *fuse_dense(fd_tape *t, fd_var *x, fd_var *w, fd_var *b, fd_var *r);
static fd_var *fuse_mlp(fd_tape *t, fd_var *x, fd_var *w1, fd_var *b1, fd_var *w2, int f);
static fd_var *fuse_layer(fd_tape *t, fd_var *h, fd_var *R, fd_var *w, fd_var *ss, int f, int axes,
                          const int lo[], const int hi[]);
static fd_var *fuse_waves(fd_tape *t, fd_var *x, fd_var *ws, fd_var *ss, fd_var *last);

/* Rows [rows][c]: softmax, and layer normalisation with its reverse. */
static void softmax_run(ptrdiff_t rows, int n, const fd_real *x, fd_real *y, fd_arena scratch);
static void norm_run(ptrdiff_t rows, int c, double eps, const fd_real *x, const fd_real *gain,
                     const fd_real *bias, fd_real *y);
static void norm_back(ptrdiff_t rows, int c, double eps, const fd_real *x, const fd_real *gain,
                      const fd_real *dy, fd_real *dx, fd_real *dgain, fd_real *dbias,
                      fd_arena scratch);

/* Attention as one operator. fuse_attend is that of tokens x [b][n][3 e] with themselves, where
 * q, k and v lie side by side. */
static fd_var *fuse_attention(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads);
static fd_var *fuse_attend(fd_tape *t, fd_var *x, int heads);

/* Patches: fields of b samples on n0 x n1 x n2 points become tokens (cut = 1), or tokens become
 * fields. Axes that do not exist come first and have n = 1, here as in the stencils. */
static void patch_copy(int cut, int b, const int n[3], const int p[3], int c, const fd_real *x,
                       fd_real *y);

/* Stencils of three points: the neighbours of each point, [rows][parts][c], or the transpose. */
enum { STENCIL_ZERO = -1 };                           /* a boundary like those of fd.h: zeros */
struct stencil_grid {
    int n[3], bc[3], from[3];                         /* points, boundary; from: 1 for no axis */
    int c, parts;                                     /* channels, neighbours */
    ptrdiff_t rows;                                   /* all points of the batch */
};
static void stencil_run(const struct stencil_grid *g, int back, const fd_real *x, fd_real *y);

/* Stencils of physical width, or (back) their transpose, and the gradient of their weights. */
struct taps_axis {
    int n, wide, step, bc;                            /* points, taps, points of a step, boundary */
    int lo, hi, *first;                               /* the middle; where the list of a point is */
    struct tap *list;
};
struct taps { int b, c, parts; struct taps_axis ax[3]; };      /* parts: all taps */
static struct taps *taps_new(fd_arena *a, const struct taps *s, int back);
static void taps_run(const struct taps *s, int back, const fd_real *x, const fd_real *w, fd_real *y,
                     fd_arena scratch);
static void taps_gradient(const struct taps *s, const fd_real *x, const fd_real *y, fd_real *g,
                          fd_arena scratch);

/* ---- The tape -----------------------------------------------------------------------------------
 *
 * Variables lie in the arena in the order of their creation, each linked to the one before. Sources
 * come before what is made of them, so walking back visits every variable after all its uses. */

struct fd_op {
    const char *name;
    /* sets dx[i] for each source with needs */
    void (*vjp)(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4]);
    int once;                   /* 1: the vjp is made of fused kernels that have no derivative */
};

/* The mode of a tape on which a network is planned: it makes no variables. */
enum { TAPE_PLAN = -1 };

/* Marks in fd_var.d. Before fd_grad walks back, TAPE_WANTED is on the variables whose gradient is
 * asked for; while it walks, TAPE_HIDDEN is on those that a gradient could flow through but that
 * are not between y and these. */
static const fd_var tape_hidden, tape_wanted;
#define TAPE_HIDDEN ((fd_var *)&tape_hidden)
#define TAPE_WANTED ((fd_var *)&tape_wanted)

/* NULL, behind a failure that was recorded (its negation is 0); TAPE_FAIL: shapes do not fit */
#define TAPE_FAIL(t, where, ...) tape_null(FD_FAIL((t)->mem->st, FD_ESHAPE, where, __VA_ARGS__))
static void *tape_null(int code)
{
    (void)code;
    return NULL;
}

/* Memory of gradients while fd_backward walks. A room is busy while the vjp that made it runs, and
 * held by every variable whose gradient lies in it. A room that is neither serves what is made
 * next. */
enum { TAPE_ROOMS = 256 };
struct tape_rooms {
    int n;
    struct { fd_real *x; ptrdiff_t count; int busy, held; } room[TAPE_ROOMS];
};

static fd_real *tape_room(fd_tape *t, ptrdiff_t count)
{
    struct tape_rooms *all = t->rooms;
    if (!all || count < TAPE_BLOCK || all->n == TAPE_ROOMS) return fd_raw(t->mem, fd_real, count);
    int best = all->n;
    for (int i = 0; i < all->n; i++)                   /* the smallest that will do */
        if (!all->room[i].busy && !all->room[i].held && all->room[i].count >= count
            && (best == all->n || all->room[i].count < all->room[best].count)) best = i;
    if (best == all->n) {
        fd_real *x = fd_raw(t->mem, fd_real, count);
        if (!x) return NULL;
        all->room[all->n].x = x;
        all->room[all->n].count = count;
        all->room[all->n++].held = 0;
    }
    all->room[best].busy = 1;
    return all->room[best].x;
}

/* Count that a variable holds the gradient d (n = 1) or lets go of it (n = -1). */
static void tape_hold(fd_tape *t, const fd_var *d, int n)
{
    for (int i = 0; t->rooms && d && i < t->rooms->n; i++)
        if (((uintptr_t)d->x - (uintptr_t)t->rooms->room[i].x) / sizeof *d->x
            < (size_t)t->rooms->room[i].count) t->rooms->room[i].held += n;
}

/* the one place where extents are checked: a variable over x, or over new memory where x is NULL */
static fd_var *tape_make(fd_tape *t, const struct fd_op *op, int nd, const int n[], int nsrc,
                         fd_var *const src[], fd_real *x)
{
    const char *name = op ? op->name : "fd_tape";
    ptrdiff_t count = 1, most = PTRDIFF_MAX / (ptrdiff_t)sizeof *x;
    int needs = 0;
    if (t->mem->st->code || t->mode == TAPE_PLAN) return NULL;
    for (int i = 0; i < nsrc; i++)
        needs |= t->mode != FD_EVAL && (src[i]->needs || src[i]->d == TAPE_HIDDEN);
    if (nd < 0 || nd > FD_MAXD)
        return TAPE_FAIL(t, name, "number of axes out of range", nd);
    for (int i = 0; i < nd; i++) {
        if (n[i] < 1) return TAPE_FAIL(t, name, "axis has no entries: axis, length", i, n[i]);
        if (count > most / n[i]) return TAPE_FAIL(t, name, "too many entries");
        count *= n[i];
    }
    fd_var *v = fd_new(t->mem, fd_var, 1);
    if (!x) x = tape_room(t, count);
    if (!v || !x) return NULL;
    v->nd = nd;
    for (int i = 0; i < nd; i++) v->n[i] = n[i];
    v->x = x;
    v->needs = needs;
    v->prev = t->last;
    if (needs) {
        v->op = op;
        for (int i = 0; i < nsrc; i++) v->src[i] = src[i];
    }
    return t->last = v;
}

/* A variable with new memory for its value. */
static fd_var *tape_push(fd_tape *t, const struct fd_op *op, int nd, const int n[], int nsrc,
                         fd_var *const src[])
{
    return tape_make(t, op, nd, n, nsrc, src, NULL);
}

/* of the shape of x, for a gradient */
static fd_var *tape_like(fd_tape *t, const fd_var *x)
{
    return tape_push(t, NULL, x->nd, x->n, 0, NULL);
}

/* c in every entry */
static fd_var *tape_filled(fd_tape *t, const fd_var *x, fd_real c)
{
    fd_var *v = tape_like(t, x);
    for (ptrdiff_t i = 0; v && i < fd_count(v); i++) v->x[i] = c;
    return v;
}

/* a constant over x, which is not copied; NULL of NULL */
static fd_var *tape_const(fd_tape *t, int nd, const int n[], const fd_real *x)
{
    return x ? tape_make(t, NULL, nd, n, 0, NULL, (fd_real *)x) : NULL;
}

/* 1 where x has the shape n[nd] */
static int tape_same(const fd_var *x, int nd, const int n[])
{
    return x->nd == nd && (!nd || !memcmp(x->n, n, (size_t)nd * sizeof *n));
}

fd_tape fd_tape_begin(fd_arena *a, int mode)
{
    if (mode < FD_EVAL || mode > FD_GRAD2) {
        FD_FAIL(a->st, FD_EARG, "fd_tape_begin", "no such mode", mode);
        mode = FD_EVAL;
    }
    return (fd_tape){ a, a->beg, NULL, NULL, mode };
}

void fd_tape_end(fd_tape *t)
{
    t->mem->beg = t->mark;
    t->last = NULL;
    fd_hide(t->mem);
}

fd_var *fd_input(fd_tape *t, int nd, const int n[], const fd_real *x)
{
    return tape_const(t, nd, n, x);
}

fd_var *fd_param(fd_tape *t, int nd, const int n[], fd_real *x, fd_real *g)
{
    fd_var *v = tape_const(t, nd, n, x);
    if (v) {
        v->needs = t->mode != FD_EVAL;
        v->g = g;
    }
    return v;
}

/* ---- Gradients ----------------------------------------------------------------------------------
 *
 * With D_v = d sum(y)/d v and v = f_v(its sources): D_s is the sum of (df_v/ds)^T D_v over the
 * uses v of s. Only variables between y and the requested x_i matter. One pass in order of creation
 * finds them; the others are hidden (needs = 0) from the vjp functions until the walk ends. These
 * append to the tape, beyond y, so the walk does not meet what they make. On FD_GRAD tapes it runs
 * as on FD_EVAL ones: nothing that it makes is recorded. */

/* Turn the list of variables round and return its other end. */
static fd_var *tape_reverse(fd_var *v)
{
    fd_var *r = NULL;
    while (v) {
        fd_var *p = v->prev;
        v->prev = r;
        r = v;
        v = p;
    }
    return r;
}

/* Find what depends on variables marked TAPE_WANTED, clear the marks there, and hide the rest. */
static void tape_select(fd_tape *t)
{
    fd_var *first = tape_reverse(t->last);
    for (fd_var *v = first; v; v = v->prev)
        for (int i = 0; i < 4 && v->src[i]; i++)
            if (v->src[i]->d == TAPE_WANTED) v->d = TAPE_WANTED;
    tape_reverse(first);
    for (fd_var *v = t->last; v; v = v->prev) {
        if (v->d != TAPE_WANTED && v->needs) {
            v->needs = 0;
            v->d = TAPE_HIDDEN;
        } else {
            v->d = NULL;
        }
    }
}

/* Undo tape_select for the variables up to `end`. */
static void tape_restore(fd_var *end)
{
    for (fd_var *v = end; v; v = v->prev) {
        if (v->d == TAPE_HIDDEN) v->needs = 1;
        v->d = NULL;
    }
}

/* z += x */
static void tape_increase(ptrdiff_t n, const fd_real *x, fd_real *z)
{
    FD_PARALLEL_IF(n > TAPE_BLOCK)
    for (ptrdiff_t b = 0; b < (n + TAPE_BLOCK - 1) / TAPE_BLOCK; b++) {
        ptrdiff_t i1 = n - b * TAPE_BLOCK < TAPE_BLOCK ? n : (b + 1) * TAPE_BLOCK;
        for (ptrdiff_t i = b * TAPE_BLOCK; i < i1; i++) z[i] += x[i];
    }
}

/* v->d += d. The first d may be shared, as fd_add hands its own on, and is not written to. A sum
 * that was made here has aux = v and is added to in place, unless it may be differentiated
 * again. */
static void tape_accumulate(fd_tape *t, fd_var *v, fd_var *d)
{
    FD_ASSERT(fd_count(v) == fd_count(d));
    if (!v->d) {
        v->d = d;
        tape_hold(t, d, 1);
    } else if (t->mode != FD_GRAD2 && v->d->aux == v) {
        tape_increase(fd_count(v), d->x, v->d->x);
    } else {
        d = fd_add(t, v->d, d);
        if (d && t->mode != FD_GRAD2) d->aux = v;
        tape_hold(t, v->d, -1);
        tape_hold(t, d, 1);
        v->d = d;
    }
}

/* Walk back from y, whose gradient is dy, and leave in each variable's d its gradient. */
static void tape_walk(fd_tape *t, fd_var *y, fd_var *dy)
{
    const fd_status *st = t->mem->st;
    if (!y->needs || !dy) return;
    y->d = dy;
    tape_hold(t, dy, 1);
    for (fd_var *v = y; v && !st->code; v = v->prev) {
        fd_var *dx[4] = { NULL, NULL, NULL, NULL };
        int used = 0;
        if (!v->needs || !v->d || !v->op) continue;
        FD_ASSERT(!v->op->once || t->mode != FD_GRAD2);    /* there these are composed */
        for (int i = 0; i < 4; i++) used |= v->src[i] && v->src[i]->needs;
        if (!used) continue;
        v->op->vjp(t, v, v->d, dx);
        for (int i = 0; i < 4 && !st->code; i++)
            if (v->src[i] && v->src[i]->needs) tape_accumulate(t, v->src[i], dx[i]);
        if (t->rooms) tape_hold(t, v->d, -1);
        for (int i = 0; t->rooms && i < t->rooms->n; i++) t->rooms->room[i].busy = 0;
    }
}

void fd_grad(fd_tape *t, fd_var *y, fd_var *dy, int count, fd_var *const x[], fd_var *dx[])
{
    fd_status *st = t->mem->st;
    fd_var *end = t->last;
    int mode = t->mode;
    int ok = !st->code && y;
    for (int i = 0; i < count && ok; i++) {
        ok = !!x[i];
        if (ok && !x[i]->needs && mode != FD_EVAL)
            FD_FAIL(st, FD_EARG, "fd_grad", "variable is a constant", i);
    }
    if (ok && mode == FD_EVAL)
        FD_FAIL(st, FD_EARG, "fd_grad", "tape was begun with FD_EVAL");
    if (ok && dy && !tape_same(dy, y->nd, y->n))
        TAPE_FAIL(t, "fd_grad", "weights and result differ in shape: entries", fd_count(dy),
                  fd_count(y));
    if (ok && !st->code) {
        for (int i = 0; i < count; i++) x[i]->d = TAPE_WANTED;
        tape_select(t);
        t->mode = mode == FD_GRAD2 ? FD_GRAD2 : FD_EVAL;
        tape_walk(t, y, dy ? dy : tape_filled(t, y, 1));
        for (int i = 0; i < count; i++)
            dx[i] = x[i]->d ? x[i]->d : tape_filled(t, x[i], 0);
        tape_restore(end);
        t->mode = mode;
    }
    for (int i = 0; (!ok || st->code) && i < count; i++) dx[i] = NULL;
}

void fd_backward(fd_tape *t, fd_var *loss)
{
    fd_status *st = t->mem->st;
    fd_var *end = t->last;
    char *beg = t->mem->beg;
    int mode = t->mode;
    if (st->code || !loss) return;
    if (mode == FD_EVAL) {
        FD_FAIL(st, FD_EARG, "fd_backward", "tape was begun with FD_EVAL");
        return;
    }
    for (fd_var *v = end; v; v = v->prev) if (v->g) v->d = TAPE_WANTED;
    tape_select(t);
    t->mode = FD_EVAL;                                 /* nothing of this is differentiated again */
    t->rooms = fd_new(t->mem, struct tape_rooms, 1);
    tape_walk(t, loss, tape_filled(t, loss, 1));
    for (fd_var *v = end; v && !st->code; v = v->prev)
        if (v->g && v->d) tape_increase(fd_count(v), v->d->x, v->g);
    tape_restore(end);
    t->rooms = NULL;
    t->mode = mode;
    t->last = end;
    t->mem->beg = beg;
    fd_hide(t->mem);
}

ptrdiff_t fd_count(const fd_var *x)
{
    ptrdiff_t c = 1;
    for (int i = 0; x && i < x->nd; i++) c *= x->n[i];
    return x ? c : 0;
}

/* ---- Element-by-element operators ---------------------------------------------------------------
 *
 * z = x o y with stretched axes; the gradient of a stretched operand is summed to its shape. */

static fd_var *op_binary(fd_tape *t, const struct fd_op *op, int kind, fd_var *x, fd_var *y)
{
    int n[FD_MAXD], nd;
    if (!x || !y) return NULL;
    nd = x->nd > y->nd ? x->nd : y->nd;
    for (int i = 1; i <= nd; i++) {
        int nx = i <= x->nd ? x->n[x->nd - i] : 1, ny = i <= y->nd ? y->n[y->nd - i] : 1;
        if (nx != ny && nx != 1 && ny != 1)
            return TAPE_FAIL(t, op->name, "axes differ: axis from the end, lengths", i, nx, ny);
        n[nd - i] = nx == 1 ? ny : nx;
    }
    fd_var *z = tape_push(t, op, nd, n, 2, (fd_var *[]){ x, y });
    if (!z) return NULL;
    op_walk w = walk_over(nd, n, x, y);
    walk_run(kind, &w, x->x, y->x, z->x);
    return z;
}

static void op_add_vjp(fd_tape *t, fd_var *z, fd_var *dz, fd_var *dx[4])
{
    for (int k = 0; k < 2; k++)
        if (z->src[k]->needs) dx[k] = fd_sum_to(t, dz, z->src[k]->nd, z->src[k]->n);
}

static void op_minus_vjp(fd_tape *t, fd_var *z, fd_var *dz, fd_var *dx[4])
{
    op_add_vjp(t, z, dz, dx);
    if (dx[1]) dx[1] = fd_affine(t, dx[1], -1, 0);
}

static void op_mul_vjp(fd_tape *t, fd_var *z, fd_var *dz, fd_var *dx[4])
{
    for (int k = 0; k < 2; k++)
        if (z->src[k]->needs)
            dx[k] = fd_sum_to(t, fd_mul(t, dz, z->src[1 - k]), z->src[k]->nd, z->src[k]->n);
}

fd_var *fd_add(fd_tape *t, fd_var *x, fd_var *y)
{
    static const struct fd_op op = { "fd_add", op_add_vjp, 0 };
    return op_binary(t, &op, WALK_ADD, x, y);
}

fd_var *fd_sub(fd_tape *t, fd_var *x, fd_var *y)
{
    static const struct fd_op op = { "fd_sub", op_minus_vjp, 0 };
    return op_binary(t, &op, WALK_MINUS, x, y);
}

fd_var *fd_mul(fd_tape *t, fd_var *x, fd_var *y)
{
    static const struct fd_op op = { "fd_mul", op_mul_vjp, 0 };
    return op_binary(t, &op, WALK_MUL, x, y);
}

static void op_affine_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_affine(t, dy, y->c[0], 0);
}

fd_var *fd_affine(fd_tape *t, fd_var *x, double c, double d)
{
    static const struct fd_op op = { "fd_affine", op_affine_vjp, 0 };
    fd_var *y = x ? tape_push(t, &op, x->nd, x->n, 1, &x) : NULL;
    if (!y) return NULL;
    y->c[0] = c;
    fd_real cr = (fd_real)c, dr = (fd_real)d;
    const fd_real *xs = x->x;
    fd_real *ys = y->x;
    ptrdiff_t count = fd_count(x);
    FD_PARALLEL_IF(count > TAPE_BLOCK)
    for (ptrdiff_t i = 0; i < count; i++) ys[i] = cr * xs[i] + dr;
    return y;
}

/* ---- Maps ---------------------------------------------------------------------------------------
 *
 * First derivatives come from the fused kernel dy f'(x). On an FD_GRAD2 tape f'(x) is built from
 * maps and products instead. The set of maps is closed under this (P' = p, p' = -x p for the normal
 * distribution), so every derivative of every order exists. */

static fd_var *op_map(fd_tape *t, fd_var *x, int f);

/* The derivative of x sigmoid(v(x)): s + x (s - s^2) v', where s = sigmoid(v). dv is v', NULL for
 * 1. */
static fd_var *op_gate_slope(fd_tape *t, fd_var *x, fd_var *v, fd_var *dv)
{
    fd_var *s = op_map(t, v, FD_SIGMOID);
    fd_var *ds = fd_sub(t, s, op_map(t, s, FD_SQUARE));
    if (dv) ds = fd_mul(t, ds, dv);
    return fd_add(t, s, fd_mul(t, x, ds));
}

/* f'(x) as a variable, where y = f(x). */
static fd_var *op_map_slope(fd_tape *t, fd_var *x, fd_var *y, int f)
{
    fd_var *z;
    switch (f) {
    case FD_EXP:     return y;
    case FD_LOG:     return op_map(t, x, FD_RECIP);
    case FD_RECIP:   return fd_affine(t, op_map(t, y, FD_SQUARE), -1, 0);
    case FD_SQRT:    return fd_affine(t, op_map(t, y, FD_RECIP), 0.5, 0);
    case FD_SQUARE:  return fd_affine(t, x, 2, 0);
    case FD_SIN:     return op_map(t, x, FD_COS);
    case FD_COS:     return fd_affine(t, op_map(t, x, FD_SIN), -1, 0);
    case FD_TANH:    return fd_affine(t, op_map(t, y, FD_SQUARE), -1, 1);
    case FD_SIGMOID: return fd_sub(t, y, op_map(t, y, FD_SQUARE));
    case FD_SILU:    return op_gate_slope(t, x, x, NULL);
    case FD_GELU:    return fd_add(t, op_map(t, x, MAP_CDF), fd_mul(t, x, op_map(t, x, MAP_PDF)));
    case FD_GELU_TANH:
        z = op_map(t, x, FD_SQUARE);
        return op_gate_slope(t, x, fd_mul(t, x, fd_affine(t, z, MAP_C3, MAP_C1)),
                             fd_affine(t, z, 3 * MAP_C3, MAP_C1));
    case FD_RELU:    return op_map(t, x, MAP_STEP);
    case FD_IDENTITY: return tape_filled(t, x, 1);
    case MAP_CDF:    return op_map(t, x, MAP_PDF);
    default:         return fd_affine(t, fd_mul(t, x, y), -1, 0);                  /* MAP_PDF */
    }
}

static void op_map_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    fd_var *x = y->src[0];
    int f = y->i[0];
    if (t->mode == FD_GRAD2) {
        dx[0] = fd_mul(t, dy, op_map_slope(t, x, y, f));
    } else {
        dx[0] = tape_like(t, x);
        if (dx[0]) map_run(f, fd_count(x), x->x, y->x, dy->x, dx[0]->x);
    }
}

/* fd_map, also of P, p and the step function, which is a constant to derivatives */
static fd_var *op_map(fd_tape *t, fd_var *x, int f)
{
    static const struct fd_op op = { "fd_map", op_map_vjp, 0 };
    fd_var *y = x ? tape_push(t, f == MAP_STEP ? NULL : &op, x->nd, x->n, f != MAP_STEP, &x) : NULL;
    if (!y) return NULL;
    y->i[0] = f;
    map_run(f, fd_count(x), x->x, NULL, NULL, y->x);
    return y;
}

fd_var *fd_map(fd_tape *t, fd_var *x, int f)
{
    if (f < FD_EXP || f >= FD_MAPS)
        return tape_null(FD_FAIL(t->mem->st, FD_EARG, "fd_map", "no such map", f));
    return op_map(t, x, f);
}

/* ---- Sums and shapes ----------------------------------------------------------------------------
 *
 * fd_sum_to and fd_spread are transposes of each other; so are fd_slice and padding with zeros. */

static void op_sum_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_spread(t, dy, y->src[0]->nd, y->src[0]->n);
}

static void op_spread_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_sum_to(t, dy, y->src[0]->nd, y->src[0]->n);
}

/* 1 where the shape a[na] stretches to b[nb]; 0 and an error where it does not */
static int op_stretches(fd_tape *t, const char *where, int na, const int a[], int nb, const int b[])
{
    if (na > nb)
        return !FD_FAIL(t->mem->st, FD_ESHAPE, where, "number of axes", nb, na);
    for (int i = 1; i <= na; i++)
        if (a[na - i] != 1 && a[na - i] != b[nb - i])
            return !FD_FAIL(t->mem->st, FD_ESHAPE, where,
                            "axis does not stretch: axis from the end, lengths", i, a[na - i],
                            b[nb - i]);
    return 1;
}

fd_var *fd_sum_to(fd_tape *t, fd_var *x, int nd, const int n[])
{
    static const struct fd_op op = { "fd_sum_to", op_sum_vjp, 0 };
    if (!x || !op_stretches(t, op.name, nd, n, x->nd, x->n)) return NULL;
    if (tape_same(x, nd, n)) return x;
    fd_var *y = tape_push(t, &op, nd, n, 1, &x);
    if (!y) return NULL;
    op_walk w = walk_over(x->nd, x->n, x, y);
    fd_arena scratch = *t->mem;
    const fd_real *from = x->x;
    ptrdiff_t B = 1;                                   /* what is kept of the axes after k */
    for (int k = w.nd - 1; k >= 0; k--) {              /* one (merged) axis at a time, last first */
        if (w.sy[k]) {
            B *= w.n[k];
            continue;
        }
        ptrdiff_t A = 1;
        int more = 0;
        for (int i = 0; i < k; i++) {
            A *= w.n[i];
            more |= !w.sy[i];
        }
        fd_real *to = more ? fd_raw(&scratch, fd_real, A * B) : y->x;
        if (!to) return NULL;
        sum_axis(A, w.n[k], B, from, to, scratch);
        from = to;
    }
    if (from == x->x)                                    /* only axes of length 1 fell away */
        memcpy(y->x, x->x, (size_t)fd_count(y) * sizeof *y->x);
    return t->mem->st->code ? NULL : y;
}

fd_var *fd_spread(fd_tape *t, fd_var *x, int nd, const int n[])
{
    static const struct fd_op op = { "fd_spread", op_spread_vjp, 0 };
    if (!x || !op_stretches(t, op.name, x->nd, x->n, nd, n)) return NULL;
    if (tape_same(x, nd, n)) return x;
    fd_var *y = tape_push(t, &op, nd, n, 1, &x);
    if (!y) return NULL;
    op_walk w = walk_over(nd, n, x, x);
    walk_run(WALK_COPY, &w, x->x, x->x, y->x);
    return y;
}

static void op_reshape_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_reshape(t, dy, y->src[0]->nd, y->src[0]->n);
}

fd_var *fd_reshape(fd_tape *t, fd_var *x, int nd, const int n[])
{
    static const struct fd_op op = { "fd_reshape", op_reshape_vjp, 0 };
    fd_var *y = x ? tape_make(t, &op, nd, n, 1, &x, x->x) : NULL;
    if (y && fd_count(y) != fd_count(x))
        return TAPE_FAIL(t, op.name, "number of entries", fd_count(x), fd_count(y));
    return y;
}

/* x [..][k] as [rows][k] */
static fd_var *fuse_flat(fd_tape *t, fd_var *x)
{
    int k = x ? x->n[x->nd - 1] : 1;
    return fd_reshape(t, x, 2, (int[]){ (int)(fd_count(x) / k), k });
}

static void op_permute_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    int back[FD_MAXD];
    for (int i = 0; i < y->nd; i++) back[y->i[i]] = i;
    dx[0] = fd_permute(t, dy, back);
}

fd_var *fd_permute(fd_tape *t, fd_var *x, const int order[])
{
    static const struct fd_op op = { "fd_permute", op_permute_vjp, 0 };
    int n[FD_MAXD], seen = 0;
    ptrdiff_t s[FD_MAXD];
    if (!x) return NULL;
    for (int i = 0; i < x->nd; i++) {
        int k = order[i];
        if (k < 0 || k >= x->nd || seen & 1 << k)
            return tape_null(FD_FAIL(t->mem->st, FD_EARG, op.name,
                                     "not an order of axes: place, axis", i, k));
        seen |= 1 << k;
        n[i] = x->n[k];
    }
    fd_var *y = tape_push(t, &op, x->nd, n, 1, &x);
    if (!y) return NULL;
    op_walk w = { .count = 1 };
    walk_strides(x, x->nd, s);
    for (int i = 0; i < x->nd; i++) {
        y->i[i] = order[i];
        walk_axis(&w, n[i], s[order[i]], 0);
    }
    walk_permute(&w, x->x, y->x);
    return y;
}

/* Copy len entries between axes of lengths nx and nz: z[a][zfrom + i][b] = x[a][xfrom + i][b],
 * where a < outer, i < len and b < inner. */
static void op_copy(ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t len, const fd_real *x, ptrdiff_t nx,
                    ptrdiff_t xfrom, fd_real *z, ptrdiff_t nz, ptrdiff_t zfrom)
{
    FD_PARALLEL_IF(outer * len * inner > TAPE_BLOCK)
    for (ptrdiff_t a = 0; a < outer; a++)
        memcpy(z + (a * nz + zfrom) * inner, x + (a * nx + xfrom) * inner,
               (size_t)(len * inner) * sizeof *z);
}

/* how many entries the axes before `axis` have, and those after it */
static ptrdiff_t op_outer(const fd_var *x, int axis)
{
    ptrdiff_t p = 1;
    for (int i = 0; i < axis; i++) p *= x->n[i];
    return p;
}

static ptrdiff_t op_inner(const fd_var *x, int axis)
{
    ptrdiff_t p = 1;
    for (int i = axis + 1; i < x->nd; i++) p *= x->n[i];
    return p;
}

static void op_concat_vjp(fd_tape *t, fd_var *z, fd_var *dz, fd_var *dx[4])
{
    int axis = z->i[0], nx = z->src[0]->n[axis];
    if (z->src[0]->needs) dx[0] = fd_slice(t, dz, axis, 0, nx);
    if (z->src[1]->needs) dx[1] = fd_slice(t, dz, axis, nx, z->src[1]->n[axis]);
}

fd_var *fd_concat(fd_tape *t, fd_var *x, fd_var *y, int axis)
{
    static const struct fd_op op = { "fd_concat", op_concat_vjp, 0 };
    int n[FD_MAXD];
    if (!x || !y) return NULL;
    if (x->nd != y->nd) return TAPE_FAIL(t, op.name, "number of axes", x->nd, y->nd);
    if (axis < 0 || axis >= x->nd) return TAPE_FAIL(t, op.name, "no such axis", axis, x->nd);
    for (int i = 0; i < x->nd; i++) {
        if (i != axis && x->n[i] != y->n[i])
            return TAPE_FAIL(t, op.name, "other axes differ: axis, lengths", i, x->n[i],
                             y->n[i]);
        n[i] = x->n[i];
    }
    if (x->n[axis] > INT_MAX - y->n[axis])
        return TAPE_FAIL(t, op.name, "too many entries");
    n[axis] += y->n[axis];
    fd_var *z = tape_push(t, &op, x->nd, n, 2, (fd_var *[]){ x, y });
    if (!z) return NULL;
    z->i[0] = axis;
    ptrdiff_t outer = op_outer(x, axis), inner = op_inner(x, axis);
    op_copy(outer, inner, x->n[axis], x->x, x->n[axis], 0, z->x, n[axis], 0);
    op_copy(outer, inner, y->n[axis], y->x, y->n[axis], 0, z->x, n[axis], x->n[axis]);
    return z;
}

static void op_pad_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_slice(t, dy, y->i[0], y->i[1], y->src[0]->n[y->i[0]]);
}

/* x within zeros: it begins at entry `from` of an axis of length `total`. */
static fd_var *op_pad(fd_tape *t, fd_var *x, int axis, int from, int total)
{
    static const struct fd_op op = { "fd_pad", op_pad_vjp, 0 };
    int n[FD_MAXD];
    for (int i = 0; i < x->nd; i++) n[i] = i == axis ? total : x->n[i];
    fd_var *y = tape_push(t, &op, x->nd, n, 1, &x);
    if (!y) return NULL;
    y->i[0] = axis;
    y->i[1] = from;
    memset(y->x, 0, (size_t)fd_count(y) * sizeof *y->x);
    op_copy(op_outer(x, axis), op_inner(x, axis), x->n[axis], x->x, x->n[axis], 0, y->x, total,
            from);
    return y;
}

static void op_slice_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = op_pad(t, dy, y->i[0], y->i[1], y->src[0]->n[y->i[0]]);
}

fd_var *fd_slice(fd_tape *t, fd_var *x, int axis, int from, int len)
{
    static const struct fd_op op = { "fd_slice", op_slice_vjp, 0 };
    int n[FD_MAXD];
    if (!x) return NULL;
    if (axis < 0 || axis >= x->nd) return TAPE_FAIL(t, op.name, "no such axis", axis, x->nd);
    if (from < 0 || len < 1 || len > x->n[axis] - from)
        return TAPE_FAIL(t, op.name, "outside the axis: from, how many, length", from, len,
                         x->n[axis]);
    for (int i = 0; i < x->nd; i++) n[i] = i == axis ? len : x->n[i];
    fd_var *y = tape_push(t, &op, x->nd, n, 1, &x);
    if (!y) return NULL;
    y->i[0] = axis;
    y->i[1] = from;
    op_copy(op_outer(x, axis), op_inner(x, axis), len, x->x, x->n[axis], from, y->x, len, 0);
    return y;
}

/* ---- Products -----------------------------------------------------------------------------------
 *
 * y = op(x) op(w), so dx = dy op(w)^T or its transpose, and dw = op(x)^T dy or its transpose. Where
 * one w meets a batch of x the batch is one tall matrix, and dw one long product. */

static void op_matmul_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    fd_var *x = y->src[0], *w = y->src[1];
    int ta = y->i[0], tb = y->i[1];
    if (x->needs) dx[0] = ta ? fd_matmul(t, tb, 1, w, dy) : fd_matmul(t, 0, !tb, dy, w);
    if (w->needs) dx[1] = tb ? fd_matmul(t, 1, ta, dy, x) : fd_matmul(t, !ta, 0, x, dy);
}

fd_var *fd_matmul(fd_tape *t, int ta, int tb, fd_var *x, fd_var *w)
{
    static const struct fd_op op = { "fd_matmul", op_matmul_vjp, 0 };
    int n[FD_MAXD], nd;
    if (!x || !w) return NULL;
    nd = x->nd;
    if (nd < 2 || w->nd < 2) return TAPE_FAIL(t, op.name, "fewer than two axes", nd, w->nd);
    const int *nx = x->n + nd - 2, *nw = w->n + w->nd - 2;
    int M = nx[!!ta], k = nx[!ta], kw = nw[!!tb], N = nw[!tb];
    if (k != kw) return TAPE_FAIL(t, op.name, "inner sizes differ", k, kw);
    memcpy(n, x->n, sizeof n);
    n[nd - 2] = M;
    n[nd - 1] = N;
    if (w->nd == 2 && nd > 2) {
        int order[FD_MAXD];
        ptrdiff_t rows = fd_count(x) / k;
        if (rows > INT_MAX) return TAPE_FAIL(t, op.name, "too many rows", rows);
        for (int i = 0; i < nd; i++) order[i] = i < nd - 2 ? i : 2 * nd - 3 - i;
        if (ta) x = fd_permute(t, x, order);
        x = fd_reshape(t, x, 2, (int[]){ (int)rows, k });
        return fd_reshape(t, fd_matmul(t, 0, tb, x, w), nd, n);
    }
    if (w->nd != nd) return TAPE_FAIL(t, op.name, "number of axes", nd, w->nd);
    for (int i = 0; i < nd - 2; i++)
        if (x->n[i] != w->n[i])
            return TAPE_FAIL(t, op.name, "leading axes differ: axis, lengths", i, x->n[i],
                             w->n[i]);
    ptrdiff_t sx = (ptrdiff_t)M * k, sw = (ptrdiff_t)k * N, sy = (ptrdiff_t)M * N;
    ptrdiff_t count = op_outer(x, nd - 2);
    if (count > INT_MAX) return TAPE_FAIL(t, op.name, "too many products", count);
    fd_var *y = tape_push(t, &op, nd, n, 2, (fd_var *[]){ x, w });
    if (!y) return NULL;
    y->i[0] = !!ta;
    y->i[1] = !!tb;
    if (count == 1)
        fd_gemm(!!ta, !!tb, M, N, k, 1, x->x, nx[1], w->x, nw[1], 0, y->x, N, *t->mem);
    else
        fd_gemm_batch((int)count, !!ta, !!tb, M, N, k, 1, x->x, nx[1], sx, w->x, nw[1], sw, 0,
                      y->x, N, sy, *t->mem);
    return t->mem->st->code ? NULL : y;
}

/* ---- Spectral convolution --------------------------------------------------------------------
 *
 * With a symmetric scale the operator is y = T' (R (T x)): T x lists, for every kept mode,
 *
 *     u_k = s_k sum_p x(p) exp(-2 pi i k.p/n),     s_k^2 = c_k / (n0 n1 ..),      [FNO eq. 4]
 *
 * T' is its real adjoint, Re sum_k s_k u_k exp(+2 pi i k.p/n) (the imaginary part of the k_last = 0
 * plane drops out by itself), and R multiplies each mode by a complex matrix. The three derivatives
 *
 *     S(x, w) = T' R T x      S*(z, w) = T' R^H T z      G(x, z) = conj(T x) (T z) for each mode
 *
 * are linear in each argument and <z, S(x, w)> = <S*(z, w), x> = <G(x, z), w>: each one's gradients
 * are the other two, so the family is closed and differentiable to any order. */

/* S, or with back S*, of x and w; and G of x and z. hat, p and e are their spectra, or NULL. They
 * are kept where there is a gradient to come. */
static fd_var *spec_map(fd_tape *t, const struct spec *s, fd_var *x, fd_var *w, int back,
                        const fd_real *hat);
static fd_var *spec_g(fd_tape *t, const struct spec *s, fd_var *x, fd_var *z, const fd_real *p,
                      const fd_real *e);

/* The spectrum of v: `have` if it is there; otherwise it is computed, on the tape's arena if it is
 * to be kept, or in scratch. */
static const fd_real *spec_hat(fd_tape *t, const struct spec *s, int pairs, const fd_var *v,
                               const fd_real *have, int keep, fd_arena *scratch)
{
    int ch = pairs ? s->co : s->ci;
    if (have) return have;
    fd_real *h = fd_raw(keep ? t->mem : scratch, fd_real, s->modes * 2 * s->b * ch * (pairs + 1));
    if (keep) *scratch = *t->mem;
    if (h) spec_to_modes(s, ch, pairs, v->x, h, *scratch);
    return h;
}

static void spec_map_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const struct spec *s = y->aux;
    fd_var *x = y->src[0], *w = y->src[1];
    const int back = y->i[0];
    fd_arena none = *t->mem;
    const fd_real *hat = spec_hat(t, s, !back, dy, NULL, 1, &none);   /* shared by both */
    if (x->needs) dx[0] = spec_map(t, s, dy, w, !back, hat);
    if (w->needs)
        dx[1] = back ? spec_g(t, s, dy, x, hat, s->hat[1]) : spec_g(t, s, x, dy, s->hat[0], hat);
}

static void spec_g_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const struct spec *s = y->aux;
    if (y->src[0]->needs) dx[0] = spec_map(t, s, y->src[1], dy, 1, s->hat[1]);
    if (y->src[1]->needs) dx[1] = spec_map(t, s, y->src[0], dy, 0, s->hat[0]);
}

/* A variable with its own copy of s. */
static fd_var *spec_new(fd_tape *t, const struct spec *s, const struct fd_op *op, int nd,
                        const int n[], int nsrc, fd_var *const src[])
{
    struct spec *own = fd_raw(t->mem, struct spec, 1);
    fd_var *v = own ? tape_push(t, op, nd, n, nsrc, src) : NULL;
    if (!v) return NULL;
    *own = *s;
    own->hat[0] = own->hat[1] = NULL;
    v->aux = own;
    return v;
}

static fd_var *spec_map(fd_tape *t, const struct spec *s, fd_var *x, fd_var *w, int back,
                        const fd_real *hat)
{
    static const struct fd_op op = { "fd_spectral", spec_map_vjp, 0 };
    int n[FD_MAXD] = { s->b, s->n[0], s->n[1], s->n[2] }, ch = back ? s->ci : s->co;
    n[s->nd + 1] = ch;
    fd_var *y = spec_new(t, s, &op, s->nd + 2, n, 2, (fd_var *[]){ x, w });
    if (!y) return NULL;
    y->i[0] = back;
    const int keep = y->needs && w->needs;
    fd_arena scratch = *t->mem;
    hat = spec_hat(t, s, back, x, hat, keep, &scratch);
    if (keep) ((struct spec *)y->aux)->hat[back] = hat;
    fd_real *h = (back ? spec_mul_adjoint : spec_mul)(s, hat, w->x, &scratch);
    if (h) spec_from_modes(s, ch, !back, h, y->x, scratch);
    return t->mem->st->code ? NULL : y;
}

static fd_var *spec_g(fd_tape *t, const struct spec *s, fd_var *x, fd_var *z, const fd_real *p,
                      const fd_real *e)
{
    static const struct fd_op op = { "fd_spectral", spec_g_vjp, 0 };
    int n[FD_MAXD], ci = s->ci, co = s->co;
    for (int i = 0; i < s->nd; i++) n[i] = s->hi[i] - s->lo[i] + 1;
    n[s->nd] = ci;
    n[s->nd + 1] = s->each ? 2 : co;
    n[s->nd + 2] = 2;
    fd_var *y = spec_new(t, s, &op, s->nd + 3 - s->each, n, 2, (fd_var *[]){ x, z });
    if (!y) return NULL;
    fd_arena scratch = *t->mem;
    p = spec_hat(t, s, 0, x, p, y->needs, &scratch);
    e = spec_hat(t, s, 1, z, e, y->needs, &scratch);
    if (t->mem->st->code) return NULL;
    if (y->needs) {
        ((struct spec *)y->aux)->hat[0] = p;
        ((struct spec *)y->aux)->hat[1] = e;
    }
    spec_mul_gradient(s, p, e, y->x, scratch);
    return t->mem->st->code ? NULL : y;
}

/* Fill s from the shapes of x and w; 0 and an error where they do not fit. */
static int spec_check(fd_status *st, struct spec *s, const fd_var *x, const fd_var *w, int axes,
                      const int lo[], const int hi[])
{
    int each = w->nd == axes + 2;
    int ok = axes >= 1 && axes <= 3 && x->nd == axes + 2 && (each || w->nd == axes + 3);
    memset(s, 0, sizeof *s);
    if (ok) ok = w->n[w->nd - 1] == 2 && x->n[axes + 1] == w->n[axes];
    for (int i = 0; i < axes && ok; i++) ok = w->n[i] == (long long)hi[i] - lo[i] + 1;
    if (!ok)
        return !FD_FAIL(st, FD_ESHAPE, "fd_spectral",
                        "wants x [b][n..][ci] and w [K..][ci][co][2]: axes of x, of w", x->nd,
                        w->nd);
    if (lo[axes - 1])
        return !FD_FAIL(st, FD_ESHAPE, "fd_spectral", "modes of the last axis start at 0, not at",
                        lo[axes - 1]);
    s->nd = axes;
    s->b = x->n[0];
    s->ci = w->n[axes];
    s->co = each ? s->ci : w->n[axes + 1];
    s->each = each;
    s->points = s->modes = 1;
    for (int i = 0; i < axes; i++) {
        int n = s->n[i] = x->n[i + 1];
        s->lo[i] = lo[i];
        s->hi[i] = hi[i];
        s->points *= n;
        s->modes *= w->n[i];
        if (lo[i] < -(n / 2) || hi[i] > (i < axes - 1 ? (n - 1) / 2 : n / 2))
            return !FD_FAIL(st, FD_ESHAPE, "fd_spectral",
                            "too few points for the modes: points, lo, hi", n, lo[i], hi[i]);
    }
    return 1;
}

fd_var *fd_spectral(fd_tape *t, fd_var *x, fd_var *w, int axes, const int lo[], const int hi[])
{
    struct spec s;
    if (!x || !w || t->mem->st->code || !spec_check(t->mem->st, &s, x, w, axes, lo, hi))
        return NULL;
    return spec_map(t, &s, x, w, 0, NULL);
}

/* What fuse_layer computes, as operators of the tape: f(scale u + shift), u = spectral(h) + h w */
static fd_var *layer_composed(fd_tape *t, fd_var *h, fd_var *R, fd_var *w, fd_var *ss, int f,
                              int axes, const int lo[], const int hi[])
{
    int n[FD_MAXD] = { 1, 1, 1, 1, 1, 1 };
    fd_var *v = fd_matmul(t, 0, 0, h, w);
    fd_var *u = fd_add(t, fd_spectral(t, h, R, axes, lo, hi), v);
    if (!ss) return NULL;
    if (ss->nd > 1) {
        n[0] = ss->n[0];
        n[axes + 1] = ss->n[2];
        u = fd_mul(t, u, fd_reshape(t, fd_slice(t, ss, 1, 0, 1), axes + 2, n));
        ss = fd_reshape(t, fd_slice(t, ss, 1, 1, 1), axes + 2, n);
    }
    u = fd_add(t, u, ss);
    return f < 0 ? u : fd_map(t, u, f);
}

/* ---- Covariance operators and the loss on the tape ------------------------------------------- */

/* C^p is self-adjoint in L2 of the space. As a matrix on the values it has the transpose W C^p
 * W^-1, where W are the weights of the points; on a grid this is C^p itself. */
static void cov_apply_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const fd_cov *c = y->aux;
    const int n[1] = { (int)c->s.points };
    fd_var *w = c->s.weight ? fd_input(t, 1, n, c->s.weight) : NULL;
    if (w) dy = fd_mul(t, dy, fd_map(t, w, FD_RECIP));
    dx[0] = fd_cov_apply(t, c, y->c[0], dy);
    if (w) dx[0] = fd_mul(t, dx[0], w);
}

/* 1 where x is [b][ch][points] on the space; 0 and an error where it is not */
static int cov_fits(fd_tape *t, const char *where, const fd_space *s, const fd_var *x)
{
    if (x->nd == 3 && x->n[1] == s->ch && x->n[2] == s->points) return 1;
    return !FD_FAIL(t->mem->st, FD_ESHAPE, where, "wants [b][ch][points] of the space: axes, ch, "
                    "points", x->nd, s->ch, (long long)s->points);
}

fd_var *fd_cov_apply(fd_tape *t, const fd_cov *c, double p, fd_var *x)
{
    static const struct fd_op op = { "fd_cov_apply", cov_apply_vjp, 0 };
    if (!c || !x || t->mem->st->code || !cov_fits(t, op.name, &c->s, x)) return NULL;
    fd_var *y = tape_push(t, &op, x->nd, x->n, 1, &x);
    if (!y) return NULL;
    y->c[0] = p;
    y->aux = (void *)(uintptr_t)c;                    /* read only */
    fd_cov_pow(c, p, x->n[0], x->x, y->x, *t->mem);
    return t->mem->st->code ? NULL : y;
}

fd_var *fd_mse_loss(fd_tape *t, const fd_space *s, fd_var *x, const fd_real *y, const double *w)
{
    if (!x || t->mem->st->code || !cov_fits(t, "fd_mse_loss", s, x)) return NULL;
    int b = x->n[0], one[1] = { 1 }, per[3] = { b, 1, 1 }, points[1] = { (int)s->points };
    fd_real *scale = fd_raw(t->mem, fd_real, b);
    if (!scale) return NULL;
    for (int i = 0; i < b; i++)
        scale[i] = (fd_real)((w ? w[i] : 1.0) * (s->weight ? 1.0 : s->h) / b);
    fd_var *r = fd_map(t, fd_sub(t, x, fd_input(t, 3, x->n, y)), FD_SQUARE);
    if (s->weight) r = fd_mul(t, r, fd_input(t, 1, points, s->weight));
    r = fd_mul(t, fd_sum_to(t, r, 3, per), fd_input(t, 3, per, scale));
    return fd_sum_to(t, r, 1, one);
}

/* ---- Rows and attention -------------------------------------------------------------------------
 *
 * What transformers need [Attention; ViT; U-ViT]. A row is what lies along the last axis; tokens
 * are [b][tokens][width]. */

static int row_last(const fd_var *x) { return x->nd ? x->n[x->nd - 1] : 1; }

/* the sum over the last axis, which stays with length 1 */
static fd_var *row_total(fd_tape *t, fd_var *x)
{
    int n[FD_MAXD];
    if (!x) return NULL;
    memcpy(n, x->n, sizeof n);
    n[x->nd - 1] = 1;
    return fd_sum_to(t, x, x->nd, n);
}

/* dx = y dy - y sum(y dy) */
static void op_softmax_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    fd_var *p = fd_mul(t, y, dy);
    dx[0] = fd_sub(t, p, fd_mul(t, y, row_total(t, p)));
}

fd_var *fd_softmax(fd_tape *t, fd_var *x)
{
    static const struct fd_op op = { "fd_softmax", op_softmax_vjp, 0 };
    if (!x) return NULL;
    if (!x->nd) return TAPE_FAIL(t, op.name, "no last axis");
    fd_var *y = tape_push(t, &op, x->nd, x->n, 1, &x);
    if (!y) return NULL;
    softmax_run(fd_count(x) / row_last(x), row_last(x), x->x, y->x, *t->mem);
    return t->mem->st->code ? NULL : y;
}

/* (x - mean) r with r = 1/sqrt(var + eps), as variables */
static fd_var *row_normal(fd_tape *t, fd_var *x, double eps, fd_var **r)
{
    double by = 1.0 / row_last(x);
    fd_var *d = fd_sub(t, x, fd_affine(t, row_total(t, x), by, 0));
    fd_var *var = fd_affine(t, row_total(t, fd_map(t, d, FD_SQUARE)), by, eps);
    *r = fd_map(t, fd_map(t, var, FD_SQRT), FD_RECIP);
    return fd_mul(t, d, *r);
}

/* With z the normalised row and g = gain dy: dx = r (g - mean g - z mean(g z)), dgain = sum z dy */
static void op_layernorm_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    fd_var *x = y->src[0], *gain = y->src[1], *bias = y->src[2], *z, *r;
    int c = row_last(x);
    double by = 1.0 / c, eps = y->c[0];
    if (t->mode == FD_GRAD2) {
        if (bias->needs) dx[2] = fd_sum_to(t, dy, 1, bias->n);
        z = row_normal(t, x, eps, &r);
        if (gain->needs) dx[1] = fd_sum_to(t, fd_mul(t, dy, z), 1, gain->n);
        if (!x->needs) return;
        fd_var *g = fd_mul(t, dy, gain);
        fd_var *m = fd_affine(t, row_total(t, g), by, 0);
        fd_var *k = fd_affine(t, row_total(t, fd_mul(t, g, z)), by, 0);
        dx[0] = fd_mul(t, r, fd_sub(t, fd_sub(t, g, m), fd_mul(t, z, k)));
        return;
    }
    for (int i = 0; i < 3; i++) dx[i] = tape_like(t, y->src[i]);
    if (t->mem->st->code) return;
    norm_back(fd_count(x) / c, c, eps, x->x, gain->x, dy->x, dx[0]->x, dx[1]->x, dx[2]->x, *t->mem);
}

fd_var *fd_layernorm(fd_tape *t, fd_var *x, fd_var *gain, fd_var *bias, double eps)
{
    static const struct fd_op op = { "fd_layernorm", op_layernorm_vjp, 0 };
    if (!x || !gain || !bias) return NULL;
    int c = row_last(x);
    if (!x->nd || !tape_same(gain, 1, &c) || !tape_same(bias, 1, &c))
        return TAPE_FAIL(t, op.name, "gain and bias must be as long as the last axis: lengths",
                         c, fd_count(gain), fd_count(bias));
    fd_var *y = tape_push(t, &op, x->nd, x->n, 3, (fd_var *[]){ x, gain, bias });
    if (!y) return NULL;
    y->c[0] = eps;
    norm_run(fd_count(x) / c, c, eps, x->x, gain->x, bias->x, y->x);
    return y;
}

/* The means of x [b][points][c] over the points and the channels of a group, repeated for each of
 * its channels, [b][1][c]. Points are summed first, since the rows of that sum are long. */
static fd_var *group_mean(fd_tape *t, fd_var *x, int groups)
{
    if (!x) return NULL;
    int b = x->n[0], c = x->n[2], n[3] = { b, groups, c / groups };
    fd_var *sum = fd_reshape(t, fd_sum_to(t, x, 3, (int[]){ b, 1, c }), 3, n);
    sum = fd_spread(t, fd_sum_to(t, sum, 3, (int[]){ b, groups, 1 }), 3, n);
    return fd_affine(t, fd_reshape(t, sum, 3, (int[]){ b, 1, c }),
                     (double)groups / ((double)x->n[1] * c), 0);
}

fd_var *fd_groupnorm(fd_tape *t, fd_var *x, int groups, int centred, fd_var *gain, fd_var *bias,
                     double eps)
{
    static const char where[] = "fd_groupnorm";
    if (!x || !gain || !bias) return NULL;
    int c = row_last(x), b = x->nd ? x->n[0] : 1;
    if (x->nd < 2 || !tape_same(gain, 1, &c) || !tape_same(bias, 1, &c))
        return TAPE_FAIL(t, where, "gain and bias must be as long as the last axis: lengths", c,
                         fd_count(gain), fd_count(bias));
    if (groups < 1 || c % groups)
        return TAPE_FAIL(t, where, "groups do not divide the channels", groups, c);
    ptrdiff_t points = fd_count(x) / ((ptrdiff_t)b * c);
    if (points > INT_MAX) return TAPE_FAIL(t, where, "too many points", points);
    fd_var *z = fd_reshape(t, x, 3, (int[]){ b, (int)points, c });
    if (centred) z = fd_sub(t, z, group_mean(t, z, groups));
    fd_var *var = fd_affine(t, group_mean(t, fd_map(t, z, FD_SQUARE), groups), 1, eps);
    fd_var *scale = fd_mul(t, fd_map(t, fd_map(t, var, FD_SQRT), FD_RECIP), gain);
    return fd_reshape(t, fd_add(t, fd_mul(t, z, scale), bias), x->nd, x->n);
}

/* [b][n][d] as [b][heads][n][d / heads] */
static fd_var *attend_split(fd_tape *t, fd_var *x, int heads)
{
    x = fd_reshape(t, x, 4, (int[]){ x->n[0], x->n[1], heads, x->n[2] / heads });
    return fd_permute(t, x, (int[]){ 0, 2, 1, 3 });
}

/* y = P v, P = softmax(q k^T / sqrt(w)) in each head of width w [Attention eq. 1], as operators of
 * the tape */
static fd_var *attend_composed(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads)
{
    fd_var *p = fd_matmul(t, 0, 1, attend_split(t, q, heads), attend_split(t, k, heads));
    p = fd_softmax(t, fd_affine(t, p, 1 / sqrt((double)(q->n[2] / heads)), 0));
    p = fd_matmul(t, 0, 0, p, attend_split(t, v, heads));
    return fd_reshape(t, fd_permute(t, p, (int[]){ 0, 2, 1, 3 }), 3,
                      (int[]){ q->n[0], q->n[1], v->n[2] });
}

fd_var *fd_attention(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads)
{
    static const char where[] = "fd_attention";
    if (!q || !k || !v) return NULL;
    if (q->nd != 3 || k->nd != 3 || v->nd != 3)
        return TAPE_FAIL(t, where, "wants q, k, v [b][n][d]: axes", q->nd, k->nd, v->nd);
    if (q->n[0] != k->n[0] || q->n[0] != v->n[0] || k->n[1] != v->n[1])
        return TAPE_FAIL(t, where, "q, k, v differ: samples, keys, values", q->n[0], k->n[1],
                         v->n[1]);
    if (q->n[2] != k->n[2])
        return TAPE_FAIL(t, where, "widths of q and k differ", q->n[2], k->n[2]);
    if (heads < 1 || q->n[2] % heads || v->n[2] % heads)
        return TAPE_FAIL(t, where, "heads do not divide the width", heads, q->n[2], v->n[2]);
    if (t->mode == FD_GRAD2) return attend_composed(t, q, k, v, heads);
    return fuse_attention(t, q, k, v, heads);
}

/* softmax(q k^T/sqrt(w) + log p) is attention with one more column of q and k in each head, in
 * which q has 1 and k has log p. The other columns of q are scaled so that the division by
 * sqrt(w + 1) comes out right. */
fd_var *fd_attention_over(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads,
                          const fd_real *weight)
{
    static const char where[] = "fd_attention_over";
    if (!q || !k || !v || !weight) return q && k && v ? fd_attention(t, q, k, v, heads) : NULL;
    if (q->nd != 3 || k->nd != 3 || heads < 1 || q->n[2] % heads || k->n[2] % heads)
        return TAPE_FAIL(t, where, "wants q, k [b][n][d], d a multiple of heads: axes, heads",
                         q->nd, k->nd, heads);
    int n[2] = { q->n[1], k->n[1] };
    double sum = 0;
    for (int j = 0; j < n[1]; j++) sum += (double)weight[j];
    fd_var *x[2] = { q, k };
    for (int i = 0; i < 2; i++) {
        int b = x[i]->n[0], d = x[i]->n[2], w = d / heads, m[4] = { b, n[i], heads, 1 };
        fd_real *more = fd_raw(t->mem, fd_real, (ptrdiff_t)b * n[i] * heads);
        for (ptrdiff_t j = 0; j < (ptrdiff_t)b * n[i] * heads && more; j++) {
            double p = i ? (double)weight[j / heads % n[i]] * n[i] / sum : 1;   /* of keys */
            if (i && !(p > 0))
                return tape_null(FD_FAIL(t->mem->st, FD_EDATA, where,
                                         "weights must be positive: point", j / heads % n[i]));
            more[j] = (fd_real)(i ? sqrt(w + 1.) * log(p) : 1);
        }
        fd_var *scaled = i ? k : fd_affine(t, q, sqrt((w + 1.) / w), 0);
        x[i] = fd_reshape(t, scaled, 4, (int[]){ b, n[i], heads, w });
        x[i] = fd_concat(t, x[i], fd_input(t, 4, m, more), 3);
        x[i] = fd_reshape(t, x[i], 3, (int[]){ b, n[i], d + heads });
    }
    return fd_attention(t, x[0], x[1], v, heads);
}

/* ---- Patches and stencils -----------------------------------------------------------------------
 *
 * Fields are [b][n..][ch]. Cutting a field into tokens and putting it together again are transposes
 * of each other. */

static void op_patches_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_unpatches(t, dy, y->i[0], y->i + 1, y->i + 4);
}

static void op_unpatches_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = fd_patches(t, dy, y->i + 4);
}

/* Cut a field, or put it together: n[axes] points and patches of p[axes] points. The kernel has
 * three axes, the first ones of length 1 where there are fewer. */
static fd_var *op_cut(fd_tape *t, const struct fd_op *op, fd_var *x, int axes, const int n[],
                      const int p[], int cut)
{
    int N[3] = { 1, 1, 1 }, P[3] = { 1, 1, 1 }, out[FD_MAXD], b = x->n[0], c = row_last(x);
    long long size = cut ? c : 1, tokens = 1;         /* numbers, or points, of a patch */
    for (int i = 0; i < axes; i++) {
        N[3 - axes + i] = n[i];
        P[3 - axes + i] = p[i];
        if (p[i] < 1 || n[i] % p[i])
            return TAPE_FAIL(t, op->name, "patch does not divide the axis: axis, lengths", i,
                             p[i], n[i]);
        size *= p[i];
        tokens *= n[i] / p[i];
        if (size > INT_MAX || tokens > INT_MAX)
            return TAPE_FAIL(t, op->name, "too many points: axis, points", i, n[i]);
    }
    if (!cut && (x->nd != 3 || x->n[1] != tokens || c % size))
        return TAPE_FAIL(t, op->name, "wants [b][tokens][patch * ch]: axes, tokens, patch",
                         x->nd, tokens, size);
    if (!cut) c /= (int)size;
    out[0] = b;
    for (int i = 0; i < axes; i++) out[i + 1] = n[i];
    out[axes + 1] = c;
    fd_var *y = cut ? tape_push(t, op, 3, (int[]){ b, (int)tokens, (int)size }, 1, &x)
                    : tape_push(t, op, axes + 2, out, 1, &x);
    if (!y) return NULL;
    y->i[0] = axes;
    memcpy(y->i + 1, n, (size_t)axes * sizeof *n);
    memcpy(y->i + 4, p, (size_t)axes * sizeof *p);
    patch_copy(cut, b, N, P, c, x->x, y->x);
    return y;
}

fd_var *fd_patches(fd_tape *t, fd_var *x, const int p[])
{
    static const struct fd_op op = { "fd_patches", op_patches_vjp, 0 };
    if (!x) return NULL;
    if (x->nd < 3 || x->nd > 5)
        return TAPE_FAIL(t, op.name, "wants [b][n..][ch]: axes", x->nd);
    return op_cut(t, &op, x, x->nd - 2, x->n + 1, p, 1);              /* [ViT eq. 1] */
}

fd_var *fd_unpatches(fd_tape *t, fd_var *x, int axes, const int n[], const int p[])
{
    static const struct fd_op op = { "fd_unpatches", op_unpatches_vjp, 0 };
    if (!x) return NULL;
    if (axes < 1 || axes > 3)
        return TAPE_FAIL(t, op.name, "number of axes out of range", axes);
    return op_cut(t, &op, x, axes, n, p, 0);
}

/* 1 where the boundaries of the axes, NULL for the usual ones, are those of fd.h */
static int op_bounded(fd_tape *t, const char *where, int axes, const int bc[])
{
    for (int i = 0; i < axes && bc; i++)
        if (bc[i] < FD_PERIODIC || bc[i] > FD_MIXED)
            return !FD_FAIL(t->mem->st, FD_EARG, where, "unknown boundary: axis, boundary", i,
                            bc[i]);
    return 1;
}

/* --- Convolutions: a product with the 3^axes neighbours of each point, [rows][3^axes * c] --- */

static fd_var *op_stencil(fd_tape *t, fd_var *x, int axes, const int n[], const int bc[], int back);

static void op_stencil_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = op_stencil(t, dy, y->i[1], y->i + 2, y->i + 7, !y->i[0]);
}

/* The neighbours, or with back the transpose, which adds what each point gave to its neighbours.
 * n has b, the axes and c; bc is of the axes. */
static fd_var *op_stencil(fd_tape *t, fd_var *x, int axes, const int n[], const int bc[], int back)
{
    static const struct fd_op op = { "fd_conv3", op_stencil_vjp, 0 };
    struct stencil_grid g = { { 1, 1, 1 }, { STENCIL_ZERO, STENCIL_ZERO, STENCIL_ZERO },
                              { 1, 1, 1 }, n[axes + 1], 1, n[0] };
    for (int i = 0; i < axes; i++) {
        g.n[3 - axes + i] = n[i + 1];
        g.bc[3 - axes + i] = bc[i];
        g.from[3 - axes + i] = 0;
        g.parts *= 3;
        g.rows *= n[i + 1];
    }
    if (g.rows > INT_MAX) return TAPE_FAIL(t, op.name, "too many points", g.rows);
    fd_var *y = back ? tape_push(t, &op, axes + 2, n, 1, &x)
                     : tape_push(t, &op, 2, (int[]){ (int)g.rows, g.parts * g.c }, 1, &x);
    if (!y) return NULL;
    y->i[0] = back;
    y->i[1] = axes;
    memcpy(y->i + 2, n, (size_t)(axes + 2) * sizeof *n);
    memcpy(y->i + 7, bc, (size_t)axes * sizeof *bc);
    stencil_run(&g, back, x->x, y->x);
    return y;
}

fd_var *fd_conv3(fd_tape *t, fd_var *x, fd_var *w, const int bc[])
{
    static const char where[] = "fd_conv3";
    static const int zero[3] = { STENCIL_ZERO, STENCIL_ZERO, STENCIL_ZERO };
    int n[FD_MAXD], parts = 1;
    if (!x || !w) return NULL;
    int axes = x->nd - 2;
    if (axes < 1 || axes > 3 || w->nd != x->nd)
        return TAPE_FAIL(t, where, "wants x [b][n..][ci], w [3]..[ci][co]: axes", x->nd, w->nd);
    for (int i = 0; i < axes; i++) {
        if (w->n[i] != 3)
            return TAPE_FAIL(t, where, "the kernel is 3 points wide: axis, length", i, w->n[i]);
        parts *= 3;
    }
    if (!op_bounded(t, where, axes, bc)) return NULL;
    int ci = row_last(x), co = row_last(w);
    if (w->n[axes] != ci)
        return TAPE_FAIL(t, where, "channels differ", ci, w->n[axes]);
    memcpy(n, x->n, sizeof n);
    n[axes + 1] = co;
    fd_var *f = fd_reshape(t, w, 2, (int[]){ parts * ci, co });
    return fd_reshape(t, fd_matmul(t, 0, 0, op_stencil(t, x, axes, x->n, bc ? bc : zero, 0), f),
                      x->nd, n);
}

/* --- Stencils of physical width: y_c(p) = sum_o w_c(o) x_c(p + o step) ---
 *
 * Three operators with the same lists, closed under differentiation: A = y, its transpose for x, B,
 * and the one for w, G(x, y)(o) = sum_p x(p + o step) y(p):
 *
 *   A(x, w): dx = B(dy, w), dw = G(x, dy)
 *   B(y, w): dy = A(dz, w), dw = G(dz, y)
 *   G(x, y): dx = B(y, dg), dy = A(x, dg) */

enum { TAPS_MOST = 9 };                               /* the most taps of an axis */

static fd_var *taps_map(fd_tape *t, const struct taps *s, fd_var *x, fd_var *w, int back);
static fd_var *taps_g(fd_tape *t, const struct taps *s, fd_var *x, fd_var *y);

static void taps_a_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    fd_var *x = y->src[0], *w = y->src[1];
    const int back = y->i[0];
    if (x->needs) dx[0] = taps_map(t, y->aux, dy, w, !back);
    if (w->needs) dx[1] = back ? taps_g(t, y->aux, dy, x) : taps_g(t, y->aux, x, dy);
}

static void taps_g_vjp(fd_tape *t, fd_var *g, fd_var *dg, fd_var *dx[4])
{
    if (g->src[0]->needs) dx[0] = taps_map(t, g->aux, g->src[1], dg, 1);
    if (g->src[1]->needs) dx[1] = taps_map(t, g->aux, g->src[0], dg, 0);
}

/* A, or with back B, of x and w */
static fd_var *taps_map(fd_tape *t, const struct taps *s, fd_var *x, fd_var *w, int back)
{
    static const struct fd_op op = { "fd_stencil", taps_a_vjp, 0 };
    struct taps *own = taps_new(t->mem, s, back);
    fd_var *y = own ? tape_push(t, &op, x->nd, x->n, 2, (fd_var *[]){ x, w }) : NULL;
    if (!y) return NULL;
    y->i[0] = back;
    y->aux = own;
    taps_run(own, back, x->x, w->x, y->x, *t->mem);
    return t->mem->st->code ? NULL : y;
}

/* G of x and y */
static fd_var *taps_g(fd_tape *t, const struct taps *s, fd_var *x, fd_var *y)
{
    static const struct fd_op op = { "fd_stencil", taps_g_vjp, 0 };
    int shape[4], axes = x->nd - 2;
    for (int i = 0; i < axes; i++) shape[i] = s->ax[3 - axes + i].wide;
    shape[axes] = s->c;
    struct taps *own = taps_new(t->mem, s, 0);
    fd_var *g = own ? tape_push(t, &op, axes + 1, shape, 2, (fd_var *[]){ x, y }) : NULL;
    if (!g) return NULL;
    g->aux = own;
    taps_gradient(own, x->x, y->x, g->x, *t->mem);
    return t->mem->st->code ? NULL : g;
}

/* --- Entries picked and added: y_i = sum_j weight_ij x_index(i,j), and the transpose --- */

/* x [b][n][c] gives y [b][m][c]; index and weight are [m][k], and weight may be NULL for 1. */
struct gather { int n, m, k; const int *index; const fd_real *weight; };

static fd_var *op_gather(fd_tape *t, fd_var *x, const struct gather *g, int back);

static void op_gather_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = op_gather(t, dy, y->aux, !y->i[0]);
}

static fd_var *op_gather(fd_tape *t, fd_var *x, const struct gather *g, int back)
{
    static const struct fd_op op = { "fd_gather", op_gather_vjp, 0 };
    int b = x->n[0], c = x->n[2], rows = back ? g->n : g->m;
    struct gather *own = fd_raw(t->mem, struct gather, 1);
    fd_var *y = own ? tape_push(t, &op, 3, (int[]){ b, rows, c }, 1, &x) : NULL;
    if (!y) return NULL;
    *own = *g;
    y->aux = own;
    y->i[0] = back;
    memset(y->x, 0, (size_t)fd_count(y) * sizeof *y->x);
    FD_PARALLEL_IF(b > 1 && fd_count(y) > TAPE_BLOCK)
    for (int s = 0; s < b; s++)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)g->m * g->k; i++) {
            ptrdiff_t from = back ? i / g->k : g->index[i], to = back ? g->index[i] : i / g->k;
            const fd_real *u = x->x + (s * (ptrdiff_t)x->n[1] + from) * c;
            fd_real *v = y->x + (s * (ptrdiff_t)rows + to) * c, w = g->weight ? g->weight[i] : 1;
            for (int j = 0; j < c; j++) v[j] += w * u[j];
        }
    return y;
}

fd_var *fd_gather(fd_tape *t, fd_var *x, int m, int k, const int index[], const fd_real *weight)
{
    static const char where[] = "fd_gather";
    if (!x || t->mem->st->code) return NULL;
    if (x->nd != 3 || m < 1 || k < 1)
        return TAPE_FAIL(t, where, "wants x [b][n][c], m and k > 0: axes, m, k", x->nd, m, k);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)m * k; i++)
        if (index[i] < 0 || index[i] >= x->n[1])
            return TAPE_FAIL(t, where, "outside the points: entry, index, points", i, index[i],
                             x->n[1]);
    struct gather g = { x->n[1], m, k, index, weight };
    return op_gather(t, x, &g, 0);
}

/* --- Embeddings, conditioning --- */

fd_var *fd_fourier_features(fd_tape *t, fd_var *x, fd_var *freq)
{
    fd_var *u = fd_matmul(t, 0, 0, x, freq);
    return u ? fd_concat(t, fd_map(t, u, FD_COS), fd_map(t, u, FD_SIN), u->nd - 1) : NULL;
}

fd_var *fd_gabor(fd_tape *t, fd_var *x, double omega, double decay)
{
    fd_var *bell = fd_map(t, fd_affine(t, fd_map(t, x, FD_SQUARE), -decay, 0), FD_EXP);
    return fd_mul(t, fd_map(t, fd_affine(t, x, omega, 0), FD_SIN), bell);
}

fd_var *fd_scale_shift(fd_tape *t, fd_var *x, fd_var *ss)
{
    if (!x || !ss) return NULL;
    int c = row_last(x), b = ss->n[0];                /* [Thesis eq. 3.79] */
    if (!x->nd || ss->nd != 2 || ss->n[1] != 2 * c || x->n[0] % b)
        return TAPE_FAIL(t, "fd_scale_shift",
                         "wants x [b]..[c], scale and shift [b][2 c]: c, b, 2 c", c, b,
                         ss->nd == 2 ? ss->n[1] : 0);
    const int n[3] = { b, (int)(fd_count(x) / c / b), c }, one[3] = { b, 1, c };
    fd_var *gamma = fd_reshape(t, fd_slice(t, ss, 1, 0, c), 3, one);
    fd_var *beta = fd_reshape(t, fd_slice(t, ss, 1, c, c), 3, one);
    fd_var *y = fd_mul(t, fd_reshape(t, x, 3, n), fd_affine(t, gamma, 1, 1));
    return fd_reshape(t, fd_add(t, y, beta), x->nd, x->n);
}

/* --- A matrix along one axis: y[..][i][..] = sum_j M[i][j] x[..][j][..] --- */

/* M is [m][n]; back: its transpose is applied. */
static fd_var *op_along(fd_tape *t, fd_var *x, int axis, int m, int n, const fd_real *M, int back);

static void op_along_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    dx[0] = op_along(t, dy, y->i[0], y->i[1], y->i[2], y->aux, !y->i[3]);
}

static fd_var *op_along(fd_tape *t, fd_var *x, int axis, int m, int n, const fd_real *M, int back)
{
    static const struct fd_op op = { "fd_regrid", op_along_vjp, 0 };
    int out[FD_MAXD], to = back ? n : m, from = back ? m : n;
    if (!M) return NULL;
    ptrdiff_t outer = op_outer(x, axis), inner = op_inner(x, axis);
    FD_ASSERT(x->n[axis] == from);
    if (outer > INT_MAX || inner > INT_MAX)
        return TAPE_FAIL(t, op.name, "too many entries");
    for (int i = 0; i < x->nd; i++) out[i] = i == axis ? to : x->n[i];
    fd_var *y = tape_push(t, &op, x->nd, out, 1, &x);
    if (!y) return NULL;
    y->i[0] = axis;
    y->i[1] = m;
    y->i[2] = n;
    y->i[3] = back;
    y->aux = (void *)(uintptr_t)M;                    /* read only */
    if (inner == 1)
        fd_gemm(0, !back, (int)outer, to, from, 1, x->x, from, M, n, 0, y->x, to, *t->mem);
    else
        fd_gemm_batch((int)outer, back, 0, to, (int)inner, from, 1, M, n, 0, x->x, (int)inner,
                      from * inner, 0, y->x, (int)inner, to * inner, *t->mem);
    return t->mem->st->code ? NULL : y;
}

/* The sum over 0 < k <= K of cos(k pi u), or with half over 0 <= k < K of cos((k + 1/2) pi u). */
static double regrid_kernel(int K, int half, double u)
{
    const double pi = FD_PI;
    double turns = floor(u / 2 + .5), sign = half && fmod(turns, 2) != 0 ? -1 : 1;
    u -= 2 * turns;
    double s = 2 * sin(pi * u / 2), q = half ? K : K + .5;
    double sum = fabs(s) < 1e-12 ? q : sin(q * pi * u) / s;
    return half ? sign * sum : sum - .5;
}

/* M[i][j] = sum over shared modes of e_k(x_i + move) e_k(x_j) h, where x_i lie on m points and x_j
 * on n points of an axis of length 1. Where m and n differ the Nyquist mode of a periodic axis is
 * left out, since its phase is not known. */
static fd_real *regrid_matrix(fd_arena *a, int bc, int m, int n, double move)
{
    const double pi = FD_PI;
    fd_real *M = fd_raw(a, fd_real, (ptrdiff_t)m * n);
    int low = m < n ? m : n;
    int K = bc == FD_PERIODIC ? (low - 1) / 2 : bc == FD_NEUMANN ? low - 1 : low;
    double edge = bc == FD_DIRICHLET ? 1 : bc == FD_PERIODIC ? 0 : .5, off = bc == FD_DIRICHLET;
    double h = 1 / (n + off), top = m == n && n % 2 == 0 ? cos(pi * n * move) : 0;
    for (int i = 0; i < m && M; i++)
        for (int j = 0; j < n; j++) {
            double x = (i + edge) / (m + off) + move, y = (j + edge) / (n + off), v;
            if (bc == FD_PERIODIC)
                v = 1 + 2 * regrid_kernel(K, 0, 2 * (x - y)) + ((i - j) % 2 ? -top : top);
            else if (bc == FD_NEUMANN)
                v = 1 + regrid_kernel(K, 0, x - y) + regrid_kernel(K, 0, x + y);
            else
                v = regrid_kernel(K, bc == FD_MIXED, x - y)
                  - regrid_kernel(K, bc == FD_MIXED, x + y);
            M[(ptrdiff_t)i * n + j] = (fd_real)(h * v);
        }
    return M;
}

fd_var *fd_regrid(fd_tape *t, fd_var *x, int axes, const int bc[], const int n[])
{
    static const char where[] = "fd_regrid";
    if (!x) return NULL;
    if (axes < 1 || axes > 3 || x->nd != axes + 2)
        return TAPE_FAIL(t, where, "wants [b][n..][ch]: axes, of x", axes, x->nd);
    if (!op_bounded(t, where, axes, bc)) return NULL;
    for (int i = 0; i < axes && x; i++) {
        int m = n[i], was = x->n[i + 1];
        if (m < 1) return TAPE_FAIL(t, where, "axis has no entries: axis, length", i, m);
        if (m != was)
            x = op_along(t, x, i + 1, m, was,
                         regrid_matrix(t->mem, bc ? bc[i] : FD_PERIODIC, m, was, 0), 0);
    }
    return x;
}

/* fd_stencil where a step is no whole number of points: x is moved by each tap, axis by axis, by
 * way of its modes. */
static fd_var *taps_moved(fd_tape *t, fd_var *x, fd_var *w, int axes, const int bc[],
                          const double step[])
{
    fd_var *h = x;
    int parts = 1, c = row_last(x), rows = (int)(fd_count(x) / c);
    for (int i = axes - 1; i >= 0 && h; i--) {        /* channels become [taps of axis i]..[c] */
        const int n = x->n[i + 1], wide = w->n[i];
        const double whole = n + (bc && bc[i] == FD_DIRICHLET);
        fd_var *all = NULL;
        for (int k = 0; k < wide; k++) {
            const double move = (k - wide / 2) * step[i] / whole;
            fd_var *one = h;
            if (k != wide / 2)
                one = op_along(t, h, i + 1, n, n,
                               regrid_matrix(t->mem, bc ? bc[i] : FD_PERIODIC, n, n, move), 0);
            all = k ? fd_concat(t, all, one, axes + 1) : one;
        }
        h = all;
        parts *= wide;
    }
    h = fd_mul(t, fd_reshape(t, h, 3, (int[]){ rows, parts, c }),
               fd_reshape(t, w, 2, (int[]){ parts, c }));
    return fd_reshape(t, fd_sum_to(t, h, 3, (int[]){ rows, 1, c }), x->nd, x->n);
}

fd_var *fd_stencil(fd_tape *t, fd_var *x, fd_var *w, int axes, const int bc[], const double step[])
{
    static const char where[] = "fd_stencil";
    struct taps s = { .parts = 1, .ax = { { .n = 1, .wide = 1 }, { .n = 1, .wide = 1 },
                                          { .n = 1, .wide = 1 } } };
    int whole = 1;
    if (!x || !w) return NULL;
    if (axes < 1 || axes > 3 || x->nd != axes + 2 || w->nd != axes + 1)
        return TAPE_FAIL(t, where, "wants x [b][n..][c], w [taps]..[c]: axes, of x, of w", axes,
                         x->nd, w->nd);
    if (row_last(x) != row_last(w))
        return TAPE_FAIL(t, where, "channels differ", row_last(x), row_last(w));
    if (!op_bounded(t, where, axes, bc)) return NULL;
    for (int i = 0; i < axes; i++) {
        const int n = x->n[i + 1], wide = w->n[i];
        const double by = step[i], near = floor(by + .5);
        if (wide % 2 == 0 || wide > TAPS_MOST)
            return TAPE_FAIL(t, where, "taps of an axis are 1, 3, 5, 7 or 9: axis, taps", i, wide);
        if (!(fabs(by) <= 1 << 24))
            return TAPE_FAIL(t, where, "the step is no number, or above 2^24: axis", i);
        whole &= fabs(by - near) <= 1e-9;
        s.ax[3 - axes + i] = (struct taps_axis){ n, wide, (int)near, bc ? bc[i] : FD_PERIODIC,
                                                 0, 0, NULL, NULL };
        s.parts *= wide;
    }
    if (fd_count(x) > INT_MAX) return TAPE_FAIL(t, where, "too many entries");
    s.b = x->n[0];
    s.c = row_last(x);
    return whole ? taps_map(t, &s, x, w, 0) : taps_moved(t, x, w, axes, bc, step);
}

/* ==== Room II: networks ==== */

/* ---- Networks -----------------------------------------------------------------------------------
 *
 * A network is a function of a pass, its page: it takes weights by name and uses them. It is run in
 * two ways. While a network is planned the page runs on a tape that makes no variables: every value
 * is NULL, which every operator accepts, and the only effect is that each weight which is asked for
 * is declared, with its shape and the law of its first values. Nothing is computed, and nothing can
 * depend on a function or on a grid, so that weights belong to all grids. Later the same page runs
 * on a real tape, and the same calls find the weights that were declared. So what a network has,
 * how it begins and what it computes are said in one place. The order of the calls while planning
 * is the order of the parts in net->w; otherwise it is free.
 *
 * Inside networks fields are [b][n..][ch], tokens rows [b * tokens][width]; a weight matrix is
 * [in][out], y = x W + b. A page uses the fused operators above, and on an FD_GRAD2 tape those of
 * the tape, which give the same to rounding and have every derivative. */

static const char *const net_full = "network too large: reals so far, axes of the part";

/* extents multiplied; INT_MAX, which no extent may be, where that is too large */
static int net_times(int a, int b) { return b && a > (INT_MAX - 1) / b ? INT_MAX : a * b; }

/* --- Parts: what fd_weight does while a network is planned, drawn and run --- */

void fd_scope(fd_pass *p, const char *group, int i)
{
    char *to = p->scope, digits[12];
    size_t n = group ? strlen(group) : 0;
    int k = 0;
    if (n > sizeof p->scope - 12) {
        fd_fail_name(p->t->mem->st, FD_EARG, "fd_scope", "this name is longer than 20 letters",
                     group);
        n = 0;
    }
    if (n) memcpy(to, group, n);
    to += n;
    for (; group && i >= 0 && (i || !k); i /= 10) digits[k++] = (char)('0' + i % 10);
    while (k) *to++ = digits[--k];
    if (to > p->scope) *to++ = '.';
    *to = 0;
}

/* the scope, the name and, behind a dot where both are there, its end */
static int net_name(fd_pass *p, const char *name, const char *end, char full[48])
{
    size_t n = strlen(p->scope), m = name ? strlen(name) : 0, k = strlen(end);
    if (!name)
        return !FD_FAIL(p->t->mem->st, FD_EARG, "fd_weight", "a weight must have a name, not NULL");
    if (n + m + k > 46)
        return !fd_fail_name(p->t->mem->st, FD_EARG, "fd_weight",
                             "with its scope this name is longer than 46 letters", name);
    memcpy(full, p->scope, n);
    memcpy(full + n, name, m);
    n += m;
    if (m && k) full[n++] = '.';
    memcpy(full + n, end, k + 1);
    return 1;
}

fd_init fd_init_constant(double c) { return (fd_init){ FD_INIT_CONSTANT, c, c }; }
fd_init fd_init_normal(double deviation) { return (fd_init){ FD_INIT_NORMAL, 0, deviation }; }
fd_init fd_init_uniform(double lo, double hi) { return (fd_init){ FD_INIT_UNIFORM, lo, hi }; }
fd_init fd_init_identity(void) { return (fd_init){ FD_INIT_IDENTITY, 1, 1 }; }

/* Two usual laws of matrices: +- 1/sqrt(in), the first values of PyTorch, and [Glorot eq. 16] */
static fd_init net_fan(int in) { return fd_init_uniform(-1 / sqrt(in), 1 / sqrt(in)); }
static fd_init net_glorot(double in, double out)
{
    return fd_init_uniform(-sqrt(6 / (in + out)), sqrt(6 / (in + out)));
}

static void net_draw(const fd_part *p, fd_init first, fd_rng r, fd_real *w)
{
    double scale = first.b - first.a, shift = first.a;
    ptrdiff_t n = 1;
    for (int i = 0; i < p->nd; i++) n *= p->n[i];
    if (first.law == FD_INIT_CONSTANT || first.law == FD_INIT_IDENTITY) {
        int eye = first.law == FD_INIT_IDENTITY, step = eye ? p->n[p->nd - 1] + 1 : 1;
        for (ptrdiff_t j = 0; j < n; j += step) w[j] = (fd_real)(eye ? 1 : first.a);
        return;
    }
    if (first.law == FD_INIT_NORMAL) fd_normal(r, n, w);
    else fd_uniform(r, n, w);
    for (ptrdiff_t j = 0; j < n; j++) w[j] = (fd_real)(scale * (double)w[j] + shift);
}

/* One more part of the network that is planned. The first time over only their number is found, the
 * second time the list is written, and once there is room for weights these are drawn. */
static void net_declare(fd_pass *p, const char *name, int nd, const int n[], fd_init first)
{
    fd_net *net = p->plan;
    fd_status *st = p->t->mem->st;
    double size = 1;
    int large = 0, i = p->next++;
    if (net->part && i >= net->parts) return;                      /* net_walk says so */
    if (net->w) {
        fd_part *part = &net->part[i];
        net_draw(part, first, fd_stream(p->rng, 'w', (uint32_t)i), net->w + part->at);
        return;
    }
    if (first.law < FD_INIT_CONSTANT || first.law > FD_INIT_IDENTITY
        || !(fabs(first.a) < INFINITY && fabs(first.b) < INFINITY)) {
        fd_fail_name(st, FD_EARG, "fd_weight", "first values are of an fd_init_ law whose numbers "
                     "are finite", name);
        return;
    }
    for (int j = 0; j < nd; j++) {
        size *= n[j];
        large |= n[j] == INT_MAX;                     /* of net_times */
        if (net->page && n[j] < 1) {
            fd_fail_name(st, FD_ESHAPE, "fd_weight", "an axis of this weight has no entries", name);
            return;
        }
    }
    if (large || size + (double)net->count > (double)(PTRDIFF_MAX / 64)) {
        FD_FAIL(st, FD_ESHAPE, "fd_net_new", net_full, (long long)net->count, nd);
        return;
    }
    if (net->part) {
        fd_part *part = &net->part[i];
        memset(part, 0, sizeof *part);
        strcpy(part->name, name);
        part->nd = nd;
        memcpy(part->n, n, (size_t)nd * sizeof *n);
        part->at = net->count;
    } else net->parts = p->next;
    net->count += (ptrdiff_t)size;
}

static fd_var *net_weight(fd_pass *p, const char *name, const char *end, int nd, const int n[],
                          fd_init first)
{
    const fd_net *net = p->net;
    fd_status *st = p->t->mem->st;
    char full[48];
    if (st->code || !net_name(p, name, end, full)) return NULL;
    if (nd < 1 || nd > FD_MAXD)
        return tape_null(fd_fail_name(st, FD_ESHAPE, "fd_weight", "wants 1 to 6 axes", full));
    if (p->plan) {
        net_declare(p, full, nd, n, first);
        return NULL;
    }
    for (int i = 0; i < net->parts; i++) {            /* most often it is the next one */
        const fd_part *q = &net->part[(p->next + i) % net->parts];
        if (strcmp(q->name, full)) continue;
        if (q->nd != nd || memcmp(q->n, n, (size_t)nd * sizeof *n))
            return tape_null(fd_fail_name(st, FD_ESHAPE, "fd_weight", "planned with another shape, "
                                          "which may depend on no function and no grid", full));
        p->next = (p->next + i + 1) % net->parts;
        return p->frozen || !net->g ? fd_input(p->t, nd, q->n, net->w + q->at)
                                    : fd_param(p->t, nd, q->n, net->w + q->at, net->g + q->at);
    }
    fd_fail_name(st, FD_EARG, "fd_weight", "not asked for when the network was planned, where "
                 "values are NULL: the function must go on then", full);
    return NULL;
}

fd_var *fd_weight(fd_pass *p, const char *name, int nd, const int n[], fd_init first)
{
    return net_weight(p, name, "", nd, n, first);
}

/* --- Building blocks --- */

static int net_map(const fd_arch *a)                   /* the activation, -1 for none */
{
    return a->fno.linear || a->act == FD_IDENTITY ? -1 : a->act;
}

static fd_var *net_act(fd_tape *t, fd_var *x, int f) { return f < 0 ? x : fd_map(t, x, f); }

/* rows [..][c] with the other axes of x */
static fd_var *net_like(fd_tape *t, fd_var *y, const fd_var *x)
{
    int n[FD_MAXD];
    if (!y) return NULL;
    memcpy(n, x->n, sizeof n);
    n[x->nd - 1] = y->n[y->nd - 1];
    return fd_reshape(t, y, x->nd, n);
}

/* rows x to x W + b, or with `add` to add + x W + b */
static fd_var *net_dense(fd_pass *p, const char *name, fd_var *x, int in, int out, fd_init matrix,
                         fd_init bias, fd_var *add)
{
    fd_var *w = net_weight(p, name, "w", 2, (int[]){ in, out }, matrix);
    return fuse_dense(p->t, x, w, net_weight(p, name, "b", 1, &out, bias), add);
}

/* the same with one of the usual laws: glorot, or PyTorch's for matrix and bias */
static fd_var *net_linear(fd_pass *p, const char *name, fd_var *x, int in, int out, int glorot)
{
    const fd_init bias = glorot ? fd_init_constant(0) : net_fan(in);
    return net_dense(p, name, x, in, out, glorot ? net_glorot(in, out) : bias, bias, NULL);
}

/* Dense layers in -> hidden -> out of rows x with f between, -1: none; where hidden is not above 0
 * one layer, which has the name that is given for it. glorot: the law of their first values */
static fd_var *net_mlp(fd_pass *p, const char *const name[2], fd_var *x, int in, int hidden,
                       int out, int f, int glorot)
{
    fd_tape *t = p->t;
    if (hidden <= 0) return net_linear(p, name[0], x, in, out, glorot);
    if (t->mode == FD_GRAD2 || f < 0) {
        x = net_act(t, net_linear(p, name[0], x, in, hidden, glorot), f);
        return net_linear(p, name[1], x, hidden, out, glorot);
    }
    const fd_init zero = fd_init_constant(0);
    fd_init one = glorot ? net_glorot(in, hidden) : net_fan(in);
    fd_init two = glorot ? net_glorot(hidden, out) : net_fan(hidden);
    fd_var *w1 = net_weight(p, name[0], "w", 2, (int[]){ in, hidden }, one);
    fd_var *b1 = net_weight(p, name[0], "b", 1, &hidden, glorot ? zero : one);
    fd_var *w2 = net_weight(p, name[1], "w", 2, (int[]){ hidden, out }, two);
    fd_var *b2 = net_weight(p, name[1], "b", 1, &out, glorot ? zero : two);
    return fd_add(t, fuse_mlp(t, x, w1, b1, w2, f), b2);
}

/* gain * (x - mean)/deviation + bias: over the last axis where groups is 0, else of groups of
 * channels over the domain, `centred` or not */
static fd_var *net_norm(fd_pass *p, const char *name, fd_var *x, int c, int groups, int centred,
                        double eps)
{
    fd_var *gain = net_weight(p, name, "g", 1, &c, fd_init_constant(1));
    fd_var *bias = net_weight(p, name, "b", 1, &c, fd_init_constant(0));
    return groups ? fd_groupnorm(p->t, x, groups, centred, gain, bias, eps)
                  : fd_layernorm(p->t, x, gain, bias, eps);
}

/* the row of each label, [b][width]; the last one where there is none */
static fd_var *net_label(fd_pass *p, int labels, int width)
{
    fd_tape *t = p->t;
    const int rows = labels + 1, b = p->b, whole[3] = { 1, rows, width };
    fd_var *table = fd_weight(p, "label", 2, whole + 1, fd_init_normal((fd_real).02));
    int *row = p->plan ? NULL : fd_raw(t->mem, int, b);
    for (int i = 0; i < b && row; i++) {
        int of = p->label ? p->label[i] : -1;
        if (of < -1 || of >= labels)
            return tape_null(FD_FAIL(t->mem->st, FD_EARG, "fd_forward_label", "wants labels from "
                                     "-1, none, to labels - 1: function, label, labels", i, of,
                                     labels));
        row[i] = of < 0 ? labels : of;
    }
    if (!row) return NULL;
    table = fd_gather(t, fd_reshape(t, table, 3, whole), b, 1, row, NULL);
    return fd_reshape(t, table, 2, (int[]){ b, width });
}

/* the embedding of time, [b][width]: (cos, sin)(scale t f_i), f_i = 10000^(-i/half), or, where
 * random, on scale t/1000, 2 pi times N(0, 16^2) [SDE app. H.2], the same numbers always */
static fd_var *net_clock(fd_pass *p, int width, double scale, int random)
{
    const double turn = 16 * 2 * FD_PI / 1000;
    int half = width / 2, b = p->b;
    if (p->plan) return NULL;
    fd_real *e = fd_raw(p->t->mem, fd_real, (ptrdiff_t)b * width);
    fd_real *z = fd_raw(p->t->mem, fd_real, half);
    if (!e || !z) return NULL;
    if (random) fd_normal(fd_seed(0), half, z);
    for (int i = 0; i < b; i++)
        for (int j = 0; j < half; j++) {
            double f = random ? turn * (double)z[j] : pow(10000.0, -(double)j / half);
            double u = scale * p->time[i] * f;
            e[(ptrdiff_t)i * width + j] = (fd_real)cos(u);
            e[(ptrdiff_t)i * width + half + j] = (fd_real)sin(u);
        }
    return fd_input(p->t, 2, (int[]){ b, width }, e);
}

/* the same with the label's vector added */
static fd_var *net_time(fd_pass *p, const fd_arch *a)
{
    fd_var *e = net_clock(p, a->embed, a->tscale, a->clock);
    return a->labels ? fd_add(p->t, e, net_label(p, a->labels, a->embed)) : e;
}

/* e [b][embed] through two dense layers, SiLU between them */
static fd_var *net_time_mlp(fd_pass *p, fd_var *e, int embed, int hidden, int out, int glorot)
{
    e = fd_map(p->t, net_linear(p, "time0", e, embed, hidden, glorot), FD_SILU);
    return net_linear(p, "time1", e, hidden, out, glorot);
}

/* gamma and beta of all layers, [b][out], from two dense layers on the embedding; NULL where time
 * does not come so. The SiLUs stay in a linear network: they act on time alone. */
static fd_var *net_film(fd_pass *p, const fd_arch *a, int hidden, int out, int glorot)
{
    if (a->time != FD_TIME_FILM) return NULL;
    const fd_init zero = fd_init_constant(0);
    fd_var *e = net_time_mlp(p, net_time(p, a), a->embed, hidden, hidden, glorot);
    return net_dense(p, "film", fd_map(p->t, e, FD_SILU), hidden, out, zero, zero, NULL);
}

/* u with the scale and shift of its c channels at `at` in film, where there is one */
static fd_var *net_gate(fd_pass *p, fd_var *u, int c, fd_var *film, int at)
{
    return film && u ? fd_scale_shift(p->t, u, fd_slice(p->t, film, 1, at, 2 * c)) : u;
}

/* What a network is told of a place: with `own` the coordinates u, on [0, 1] or, centred, on
 * [-1, 1], and of each axis so many pairs cos, sin(2^k w u), w = 2 pi on a periodic axis and pi on
 * others, so that the two ends of a periodic axis are one point; with `own` w = pi everywhere. */
struct net_place { int coords, own, pairs[3], centred; };

static int places_count(const struct net_place *c, int nd)
{
    int n = 0;
    for (int i = 0; i < nd && c->coords != FD_COORD_NONE; i++) n += c->own + 2 * c->pairs[i];
    return n;
}

/* that of point k of the space */
static void places_at(const struct net_place *c, int nd, const fd_space *s, ptrdiff_t k,
                      fd_real *at)
{
    const double wide = c->centred ? 2 : 1, from = c->centred ? -1 : 0, pi = FD_PI;
    ptrdiff_t rest = k, wave = c->own ? nd : 0;
    for (int d = nd - 1; d >= 0 && c->coords != FD_COORD_NONE; d--) {
        int j = (int)(rest % s->n[d]), end = s->n[d] > 1 ? s->n[d] - 1 : 1;
        rest /= s->n[d];
        double u = s->at ? (double)s->at[k * nd + d] / s->len[d]
                 : c->coords == FD_COORD_OPEN ? fd_coord(s, d, j) / s->len[d] : (double)j / end;
        if (c->own) at[d] = (fd_real)(wide * u + from);
        for (int i = 0, ring = !c->own && s->bc[d] == FD_PERIODIC; i < c->pairs[d]; i++) {
            at[wave++] = (fd_real)cos(ldexp(pi, i + ring) * u);
            at[wave++] = (fd_real)sin(ldexp(pi, i + ring) * u);
        }
    }
}

/* places and, with a clock, tscale * time at every point, [b][points][..] */
static fd_var *net_places(fd_pass *p, const struct net_place *c, const fd_space *s, int clock,
                          double tscale)
{
    const double wide = c->centred ? 2 : 1, from = c->centred ? -1 : 0;
    const int b = p->b, nd = p->net->arch.nd, more = places_count(c, nd) + clock;
    const int n[3] = { b, (int)s->points, more };
    if (p->plan) return NULL;
    const ptrdiff_t size = s->points * more;
    fd_real *x = fd_raw(p->t->mem, fd_real, b * size);
    if (!x) return NULL;
    for (ptrdiff_t k = 0; k < s->points; k++) places_at(c, nd, s, k, x + k * more);
    for (int i = 1; i < b; i++) memcpy(x + i * size, x, (size_t)size * sizeof *x);
    for (ptrdiff_t i = 0; i < b * s->points && clock; i++)
        x[i * more + more - 1] = (fd_real)(wide * tscale * p->time[i / s->points] + from);
    return fd_input(p->t, 3, n, x);
}

static int net_clocked(const fd_arch *a) { return a->time == FD_TIME_CHANNEL; }

/* channels of the first layer: data, places, time */
static int net_inputs(const fd_arch *a, const struct net_place *c)
{
    return a->in + places_count(c, a->nd) + net_clocked(a);
}

/* [b][in][points] to [b][points][in, places, time] */
static fd_var *net_input(fd_pass *p, const fd_arch *a, const struct net_place *c, const fd_space *s,
                         fd_var *x)
{
    x = fd_permute(p->t, x, (int[]){ 0, 2, 1 });
    if (net_inputs(a, c) == a->in) return x;
    return fd_concat(p->t, x, net_places(p, c, s, net_clocked(a), a->tscale), 2);
}

/* [b][ch][points] on another grid */
static fd_var *net_regrid(fd_tape *t, const fd_space *s, fd_var *x, const int n[])
{
    int b = x->n[0], ch = x->n[1], m[FD_MAXD] = { b * ch }, to = 1;
    for (int i = 0; i < s->nd; i++) {
        m[i + 1] = s->n[i];
        to *= n[i];
    }
    m[s->nd + 1] = 1;
    x = fd_regrid(t, fd_reshape(t, x, s->nd + 2, m), s->nd, s->bc, n);
    return fd_reshape(t, x, 3, (int[]){ b, ch, to });
}

/* [b]..[ch] to [b][ch][points] */
static fd_var *net_output(fd_pass *p, fd_var *h, int ch)
{
    h = fd_reshape(p->t, h, 3, (int[]){ p->b, (int)p->to->points, ch });
    return fd_permute(p->t, h, (int[]){ 0, 2, 1 });
}

/* y as an input at `to`, the tape shortened to what it was: nothing else that a pass without
 * gradients made is needed again */
static fd_var *net_settle(fd_tape *t, fd_var *y, fd_real *to, char *mark, fd_var *last)
{
    if (!y) return NULL;
    fd_var was = *y;
    memmove(to, y->x, (size_t)fd_count(y) * sizeof *to);
    t->mem->beg = mark;
    t->last = last;
    return fd_input(t, was.nd, was.n, to);
}

/* --- Fourier operators: FNO [KER code, models/fourier_neural_operator.py], FNO_BLOCK ---
 *
 *     h = lift(x, places, t),   h <- h + y or y,   y = f((1 + gamma(t)) (S u + u W + b) + beta(t)),
 *     u = stencil(h) or h,      (S u)(p) = sum_k R_k uhat(k) exp(2 pi i k.p/n)      [FNO eqs. 2, 4]
 *
 * with norms  y = f(norm(S u + b) + u W),  with a mix  y <- f(norm(mlp(y) + gate h)). Axes are
 * padded with zeros while the layers run. */

/* the modes lo..hi of every axis that a network of such a scale keeps */
struct fno_band { int lo[3], hi[3]; };

static struct fno_band net_modes(const fd_arch *a, double scale)
{
    struct fno_band k = { { 0 }, { 0 } };
    for (int i = 0; i < a->nd; i++) {
        int m = (int)(scale * a->fno.modes[i] + .5), last = i == a->nd - 1;
        if (m < 1) m = 1;
        if (a->kind == FD_FNO_ORIGINAL || a->kind == FD_FNO_SEPARABLE) {
            k.lo[i] = last ? 0 : -m;
            k.hi[i] = m - 1;
        } else {
            k.lo[i] = last ? 0 : -(m / 2);
            k.hi[i] = last ? m / 2 : (m - 1) / 2;
        }
    }
    return k;
}

/* R, those of its modes k that the grid of h has, and in k which they are */
static fd_var *net_kept(fd_tape *t, fd_var *R, const fd_var *h, int nd, struct fno_band *k)
{
    for (int i = 0; i < nd && h; i++) {
        int n = h->n[i + 1], most = i == nd - 1 ? n / 2 : (n - 1) / 2, lo = k->lo[i], hi = k->hi[i];
        k->lo[i] = lo < -(n / 2) ? -(n / 2) : lo;
        k->hi[i] = hi > most ? most : hi;
        if (k->lo[i] != lo || k->hi[i] != hi)
            R = fd_slice(t, R, i, k->lo[i] - lo, k->hi[i] - k->lo[i] + 1);
    }
    return R;
}

/* The ranks of a Tucker tensor n[d] that has `part` of the numbers of the whole: r_i = x n_i,
 * rounded, where x^d prod n + x sum n^2 = part prod n, the rule of tensorly */
static void net_ranks(int d, const int n[], double part, int r[])
{
    double whole = 1, squares = 0, lo = 0, hi = 1;
    for (int i = 0; i < d; i++) {
        whole *= n[i];
        squares += (double)n[i] * n[i];
    }
    for (int k = 0; k < 60; k++) {
        double x = (lo + hi) / 2;
        if (pow(x, d) * whole + x * squares < part * whole) lo = x;
        else hi = x;
    }
    for (int i = 0; i < d; i++) r[i] = lo * n[i] < 1 ? 1 : (int)(lo * n[i] + .5);
}

/* x [..][r][..][2] times u [n][r][2] along an axis, complex: rows of pairs times
 * [[re, im], [-im, re]] */
static fd_var *net_factor(fd_tape *t, fd_var *x, int axis, fd_var *u)
{
    static const fd_real turn[4] = { 0, 1, -1, 0 };
    if (!x || !u) return NULL;
    int n = u->n[0], r = u->n[1], last = x->nd - 1;
    int order[FD_MAXD], back[FD_MAXD], shape[FD_MAXD];
    const int pairs[3] = { r, 1, 2 * n };
    fd_var *m = fd_permute(t, u, (int[]){ 1, 0, 2 });
    fd_var *j = fd_matmul(t, 0, 0, m, fd_input(t, 2, (int[]){ 2, 2 }, turn));
    m = fd_concat(t, fd_reshape(t, m, 3, pairs), fd_reshape(t, j, 3, pairs), 1);
    for (int i = 0; i <= last; i++)
        order[i] = i < axis || i == last ? i : i < last - 1 ? i + 1 : axis;
    for (int i = 0; i <= last; i++) back[order[i]] = i;
    x = fd_permute(t, x, order);
    if (!x) return NULL;
    memcpy(shape, x->n, sizeof shape);
    shape[last - 1] = n;
    x = fd_reshape(t, x, 2, (int[]){ (int)(fd_count(x) / (2 * r)), 2 * r });
    x = fd_matmul(t, 0, 0, x, fd_reshape(t, m, 2, (int[]){ 2 * r, 2 * n }));
    return fd_permute(t, fd_reshape(t, x, last + 1, shape), back);
}

/* Spectral weights n[d][2] as core [r..][2] and factors [n_i][r_i][2]. All their products have the
 * complex variance 2/(ci + co). */
static fd_var *net_tucker(fd_pass *p, int d, const int n[], double rank)
{
    char name[] = "factor0";
    int r[FD_MAXD];
    double terms = 1;
    net_ranks(d, n, rank, r);
    for (int i = 0; i < d; i++) terms *= r[i];
    double scale = sqrt(pow(2. / (n[d - 2] + n[d - 1]) / terms, 1. / (d + 1)) / 2);
    const fd_init first = fd_init_normal((fd_real)scale);
    r[d] = 2;
    fd_var *R = fd_weight(p, "core", d + 1, r, first);
    for (int i = 0; i < d; i++, name[6]++)
        R = net_factor(p->t, R, i, fd_weight(p, name, 3, (int[]){ n[i], r[i], 2 }, first));
    return R;
}

/* One spectral layer, ci -> co channels: the first word of its parts, its modes, the laws of R and
 * b. rank > 0: R is a Tucker tensor */
struct fno_conv {
    const char *name;
    int ci, co;
    struct fno_band k;
    fd_init spectral, bias;
    double rank;
};

/* That of a Fourier operator. R: FNO_ORIGINAL uniform on [0, 1/width^2); U-Net normal, each part of
 * variance 1/(kept modes of k_last > 0); others normal of complex variance 2/(ci + co),
 * which is also the variance of b. */
static struct fno_conv net_conv(const fd_arch *a, const char *name, double scale, int ci, int co)
{
    struct fno_conv c = { name, ci, co, net_modes(a, scale), { 0 }, { 0 }, a->u.rank };
    double width = (ci + co) / 2.;
    if (a->kind == FD_FNO_ORIGINAL) {
        c.spectral = fd_init_uniform(0, 1 / (width * width));
        c.bias = net_fan(ci);
        return c;
    }
    c.bias = fd_init_normal(sqrt(1 / width));
    if (a->kind == FD_FNO_UNET) {
        width = (c.k.hi[a->nd - 1] - c.k.lo[a->nd - 1]) / 2.;
        for (int j = 0; j < a->nd - 1; j++) width *= c.k.hi[j] - c.k.lo[j] + 1;
        if (width < .25) width = .25;
        c.bias = fd_init_constant(0);
    }
    c.spectral = fd_init_normal(sqrt(1 / width) * sqrt(.5));
    return c;
}

/* The parts of a spectral layer: R, of which those modes k are left that the grid of h has, the
 * matrix w and the bias */
struct fno_parts { fd_var *R, *w, *bias; struct fno_band k; };

static struct fno_parts net_layer_parts(fd_pass *p, const struct fno_conv *c, const fd_var *h)
{
    int nd = p->net->arch.nd, n[FD_MAXD];
    struct fno_parts l = { NULL, NULL, NULL, c->k };
    for (int i = 0; i < nd; i++) n[i] = c->k.hi[i] - c->k.lo[i] + 1;
    n[nd] = c->ci;
    n[nd + 1] = c->co;
    n[nd + 2] = 2;
    l.R = c->rank > 0 ? net_tucker(p, nd + 2, n, c->rank)
                      : net_weight(p, c->name, "spectral", nd + 3, n, c->spectral);
    l.R = net_kept(p->t, l.R, h, nd, &l.k);
    l.w = net_weight(p, c->name, "skip", 2, n + nd, net_fan(c->ci));
    l.bias = net_weight(p, c->name, "bias", 1, &c->co, c->bias);
    return l;
}

/* scale and shift of a layer with z = (1 + gamma) (u + bias) + beta, [b][2][width], gamma and beta
 * at `at` in film; bias without film */
static fd_var *net_shift(fd_tape *t, fd_var *bias, fd_var *film, int at)
{
    if (!film || !bias) return bias;
    int w = bias->n[0], n[3] = { film->n[0], 1, w };
    fd_var *gamma = fd_reshape(t, fd_slice(t, film, 1, at, w), 3, n);
    fd_var *beta = fd_reshape(t, fd_slice(t, film, 1, at + w, w), 3, n);
    fd_var *scale = fd_affine(t, gamma, 1, 1);
    return fd_concat(t, scale, fd_add(t, fd_mul(t, scale, bias), beta), 1);
}

/* f(scale (spectral(h) + h w) + shift) */
static fd_var *net_layer(fd_pass *p, const struct fno_conv *c, fd_var *h, fd_var *film, int at,
                         int f)
{
    fd_tape *t = p->t;                                /* [FNO eq. 2] */
    struct fno_parts l = net_layer_parts(p, c, h);
    fd_var *ss = net_shift(t, l.bias, film, at);
    return (t->mode == FD_GRAD2 ? layer_composed : fuse_layer)(t, h, l.R, l.w, ss, f,
                                                               p->net->arch.nd, l.k.lo, l.k.hi);
}

/* f(norm(spectral(h) + bias) + h w) */
static fd_var *net_normed(fd_pass *p, const fd_arch *a, const struct fno_conv *c, fd_var *h, int f)
{
    fd_tape *t = p->t;
    struct fno_parts l = net_layer_parts(p, c, h);
    fd_var *u = fd_add(t, fd_spectral(t, h, l.R, a->nd, l.k.lo, l.k.hi), l.bias);
    u = net_norm(p, "norm0", u, c->co, a->fno.norms, 1, a->eps);
    return net_act(t, fd_add(t, u, fd_matmul(t, 0, 0, h, l.w)), f);
}

/* f(norm(mlp(y) + gate h)), y = layer(h): the channel MLP of [neuraloperator], GELU inside */
static fd_var *net_mix(fd_pass *p, const fd_arch *a, fd_var *h, fd_var *y, int f)
{
    static const char *const mix[2] = { "mix0", "mix1" };
    fd_tape *t = p->t;
    int w = a->width, inside = a->fno.linear ? -1 : FD_GELU;
    fd_var *u = net_like(t, net_mlp(p, mix, fuse_flat(t, y), w, a->fno.mix, w, inside, 0), y);
    fd_init first = a->fno.gates ? fd_init_identity() : fd_init_constant(1);
    fd_var *gate = fd_weight(p, "gate", 1 + a->fno.gates, (int[]){ w, w }, first);
    u = fd_add(t, u, a->fno.gates ? fd_matmul(t, 0, 0, h, gate) : fd_mul(t, h, gate));
    return net_act(t, a->fno.norms ? net_norm(p, "norm1", u, w, a->fno.norms, 1, a->eps) : u, f);
}

/* The stencil of a layer, first values N(0, 1/taps): no mode gains or loses, on average. Zeros
 * behind an axis close it to a circle. */
static fd_var *net_stencil(fd_pass *p, const fd_arch *a, fd_var *h)
{
    const fd_space *s = p->s;
    double step[3], taps = 1;
    int bc[3], n[FD_MAXD];
    if (!a->fno.stencil) return h;
    for (int i = 0; i < a->nd; i++) {
        const int ends = s->bc[i] == FD_DIRICHLET;    /* as axes count: n + 1 intervals */
        step[i] = (double)(s->n[i] + ends) / (a->grid[i] + ends);
        bc[i] = h && h->n[i + 1] > s->n[i] ? FD_PERIODIC : s->bc[i];
        taps *= n[i] = a->fno.stencil;
    }
    n[a->nd] = a->width;
    const fd_init first = fd_init_normal((fd_real)sqrt(1 / taps));
    return fd_stencil(p->t, h, fd_weight(p, "stencil", a->nd + 1, n, first), a->nd, bc, step);
}

/* [b][in][points] with places and time, lifted to [b][n..][width] */
static fd_var *net_lift(fd_pass *p, const fd_arch *a, fd_var *x)
{
    static const char *const lift[2] = { "lift0", "lift1" };
    int n[FD_MAXD] = { p->b };
    memcpy(n + 1, p->s->n, (size_t)a->nd * sizeof *n);
    n[a->nd + 1] = a->width;
    const struct net_place c = { .coords = a->coords, .own = 1 };
    fd_var *h = fuse_flat(p->t, net_input(p, a, &c, p->s, x));
    h = net_mlp(p, lift, h, net_inputs(a, &c), a->fno.lift, a->width, net_map(a), 0);
    return fd_reshape(p->t, h, a->nd + 2, n);
}

/* and back from `in` channels */
static fd_var *net_project(fd_pass *p, const fd_arch *a, fd_var *h, int in)
{
    static const char *const proj[2] = { "proj0", "proj1" };
    fd_scope(p, NULL, 0);
    h = net_mlp(p, proj, fuse_flat(p->t, h), in, a->fno.proj, a->out, net_map(a), 0);
    return net_output(p, h, a->out);
}

/* h [b][n0]..[ch] with pad n_a zeros behind each axis a */
static fd_var *net_pad(fd_pass *p, const fd_arch *a, fd_var *h)
{
    for (int i = 0; i < a->nd && h; i++) {
        int n = p->s->n[i], more = (int)(a->fno.pad[i] * n + .5);
        if (more) h = op_pad(p->t, h, i + 1, 0, n + more);
    }
    return h;
}

/* h without what is behind */
static fd_var *net_crop(fd_pass *p, const fd_arch *a, fd_var *h)
{
    for (int i = 0; i < a->nd && h; i++)
        if (h->n[i + 1] > p->s->n[i]) h = fd_slice(p->t, h, i + 1, 0, p->s->n[i]);
    return h;
}

static fd_var *fno_trunk(fd_pass *p, const fd_arch *a, fd_var *x)
{
    fd_tape *t = p->t;                                /* FD_FNO_BLOCK [FFM code, models/fno.py] */
    const struct fno_conv c = net_conv(a, "", 1, a->width, a->width);
    int w = a->width;
    fd_var *h = net_pad(p, a, net_lift(p, a, x));
    fd_var *film = net_film(p, a, a->embed, net_times(a->layers, 2 * w), 0);
    fd_real *room = t->mode == FD_EVAL && h ? fd_raw(t->mem, fd_real, fd_count(h)) : NULL;
    char *mark = t->mem->beg;
    fd_var *was = t->last;
    for (int l = 0; l < a->layers; l++) {
        int f = l < (a->fno.mix ? a->fno.mix_acts : a->fno.acts) ? net_map(a) : -1;
        fd_scope(p, "layer", l);
        fd_var *u = net_stencil(p, a, h);
        fd_var *y = a->fno.norms ? net_normed(p, a, &c, u, f)
                             : net_layer(p, &c, u, film, net_times(l, 2 * w), f);
        if (a->fno.mix) y = net_mix(p, a, h, y, l < a->fno.acts ? net_map(a) : -1);
        h = a->fno.residual ? fd_add(t, h, y) : y;
        if (room) h = net_settle(t, h, room, mark, was);
    }
    return net_crop(p, a, h);
}

/* --- HDM [HDM code, models/fno.py]: Fourier layers that leave channels apart ---
 *
 *     h = lift(x) + e(t),  h <- norm(f(h)),  h <- S h + b + gate h,  h <- f(mlp(f(h))) + gate h,
 *
 * the f inside missing in the last layer. Differs in that time comes in once, added to the lifted
 * field, not also to every Fourier coefficient, where it is a point source at x = 0. */

static fd_var *hdm_trunk(fd_pass *p, const fd_arch *a, fd_var *x)
{
    static const char *const mlp[2] = { "mlp.fc1", "mlp.fc2" };
    fd_tape *t = p->t;
    const struct fno_band all = net_modes(a, 1);
    const int w = a->width, act = net_map(a);
    const fd_init begin = fd_init_normal(1. / ((double)w * w)), unit = fd_init_constant(1);
    int n[FD_MAXD], shape[FD_MAXD] = { p->b, 1, 1, 1, 1 };
    shape[a->nd + 1] = w;
    for (int i = 0; i < a->nd; i++) n[i] = all.hi[i] - all.lo[i] + 1;
    n[a->nd] = w;
    n[a->nd + 1] = 2;
    fd_var *h = net_lift(p, a, x);
    if (a->time == FD_TIME_TOKEN) {
        fd_var *e = net_time_mlp(p, net_time(p, a), a->embed, w, w, 0);
        h = fd_add(t, h, fd_reshape(t, e, a->nd + 2, shape));
    }
    h = net_pad(p, a, h);
    for (int l = 0; l < a->layers; l++) {
        struct fno_band k = all;
        fd_scope(p, "layer", l);
        h = net_act(t, h, act);
        fd_var *v = net_norm(p, "norm", a->fno.linear ? NULL : h, w, a->fno.groups, 1, 1e-5), *u;
        h = a->fno.linear ? h : v;
        u = net_kept(t, fd_weight(p, "spectral", a->nd + 2, n, begin), h, a->nd, &k);
        u = fd_add(t, fd_spectral(t, h, u, a->nd, k.lo, k.hi), fd_weight(p, "bias", 1, &w, begin));
        h = fd_add(t, u, fd_mul(t, h, fd_weight(p, "skip.gate", 1, &w, unit)));
        v = fuse_flat(t, l < a->layers - 1 ? net_act(t, h, act) : h);
        v = net_act(t, net_mlp(p, mlp, v, w, a->fno.mlp, w, act, 0), act);
        v = net_like(t, v, h);
        h = fd_add(t, v, fd_mul(t, h, fd_weight(p, "mlp.gate", 1, &w, unit)));
    }
    return net_crop(p, a, h);
}

/* either of them up to its projection; the whole page */
static fd_var *fourier_trunk(fd_pass *p, const fd_arch *a, fd_var *x)
{
    return (a->kind == FD_FNO_SEPARABLE ? hdm_trunk : fno_trunk)(p, a, x);
}

static fd_var *fourier_forward(fd_pass *p, fd_var *x, const void *self)
{
    const fd_arch *a = self;
    return net_project(p, a, fourier_trunk(p, a, x), a->width);
}

/* --- U-shaped operators: FD_UNO [DDO code, src/models.py] and the U-Net of [DDO-SDF] ---
 *
 * A list of steps: value 0 is the lifted input, step k makes value k + 1 of value k, joined with
 * value `join` where that is not -1, on a grid of `to` times the points. L levels, z_i their scale:
 *
 *     U-NO    down i: f(layer(h)) from z_{i-1} to z_i;   up i: f(layer(h, value i)), and back
 *     U-Net   residual blocks h W + conv2(f(norm2(conv1(f(norm1 h))))), `layers` a level down, two
 *             at the bottom, layers + 1 a level up, each joined with the last value of the way
 *             down that was not yet used; between levels fd_regrid and one more conv. */
enum { U_FNO, U_RES, U_MOVE };
struct u_step { int what, join, ci, co; double from, to; };

static struct u_step *u_put(struct u_step *s, int what, int join, int ci, int co, double from,
                            double to)
{
    *s = (struct u_step){ what, join, ci, co, from, to };
    return s + 1;
}

static struct u_step *uno_steps(struct u_step *s, const fd_arch *A)
{
    const double *z = A->u.scale;
    int L = A->u.levels, w = A->width, ch = w;
    for (int i = 0; i < L; i++, ch = s[-1].co)
        s = u_put(s, U_FNO, -1, ch, w * A->u.mult[i], i ? z[i - 1] : 1, z[i]);
    for (int i = L - 1; i >= 0; i--) {
        int own = w * A->u.mult[i];
        s = u_put(s, U_FNO, i < L - 1 ? i + 1 : -1, i < L - 1 ? 2 * own : own,
                  i ? w * A->u.mult[i - 1] : w, z[i], i ? z[i - 1] : 1);
    }
    return s;
}

static struct u_step *unet_steps(struct u_step *s, const fd_arch *A)
{
    const struct u_step *list = s;
    const double *z = A->u.scale;
    int L = A->u.levels, R = A->layers, w = A->width, ch = w;
    for (int i = 0; i < L; i++) {
        for (int j = 0; j < R; j++, ch = w * A->u.mult[i])
            s = u_put(s, U_RES, -1, ch, w * A->u.mult[i], z[i], z[i]);
        if (i < L - 1) s = u_put(s, U_MOVE, -1, ch, ch, z[i], z[i + 1]);
    }
    int kept = (int)(s - list);
    for (int j = 0; j < 2; j++) s = u_put(s, U_RES, -1, ch, ch, z[L - 1], z[L - 1]);
    for (int i = L - 1; i >= 0; i--) {
        for (int j = 0; j <= R; j++, kept--, ch = w * A->u.mult[i]) {
            int joined = ch + (kept ? list[kept - 1].co : w);
            s = u_put(s, U_RES, kept, joined, w * A->u.mult[i], z[i], z[i]);
        }
        if (i) s = u_put(s, U_MOVE, -1, ch, ch, z[i], z[i - 1]);
    }
    return s;
}

/* Group norm of the kept modes of h, which cuts off what a nonlinearity made beyond them. That of
 * [DDO-SDF code, lib/models/fourier_unet.py] is of the half spectrum, summed over channels. */
static fd_var *u_norm(fd_pass *p, const fd_arch *a, const char *name, fd_var *h, int c,
                      const struct fno_band *k)
{
    fd_tape *t = p->t;
    int low[3], full[3];
    for (int i = 0; i < a->nd && h; i++) {
        full[i] = h->n[i + 1];
        low[i] = 1 + 2 * (i < a->nd - 1 ? -k->lo[i] : k->hi[i]);
        if (low[i] > full[i]) low[i] = full[i];
    }
    h = fd_regrid(t, fd_regrid(t, h, a->nd, NULL, low), a->nd, NULL, full);
    return net_norm(p, name, h, c, a->fno.groups, 0, 1e-6);
}

static fd_var *u_res(fd_pass *p, const fd_arch *a, const struct u_step *s, fd_var *h, fd_var *film,
                     int at)
{
    fd_tape *t = p->t;
    const int ci = s->ci, co = s->co, act = net_map(a);
    const struct fno_conv one = net_conv(a, "conv1", s->from, ci, co);
    const struct fno_conv two = net_conv(a, "conv2", s->from, co, co);
    fd_var *u = net_act(t, u_norm(p, a, "norm1", h, ci, &one.k), act);
    u = u_norm(p, a, "norm2", net_layer(p, &one, u, NULL, 0, -1), co, &one.k);
    u = net_layer(p, &two, net_act(t, net_gate(p, u, co, film, at), act), NULL, 0, -1);
    if (ci == co) return fd_add(t, u, h);
    fd_var *w = fd_weight(p, "shortcut", 2, (int[]){ ci, co }, net_fan(ci));
    return fd_add(t, u, fd_matmul(t, 0, 0, h, w));
}

/* size: points of the axes at scale 1 */
static fd_var *u_run(fd_pass *p, const fd_arch *a, const struct u_step *s, fd_var *h, fd_var *film,
                     int at, const int size[])
{
    fd_tape *t = p->t;
    int n[3], same = 1, act = net_map(a);
    if (s->what == U_RES) return u_res(p, a, s, h, film, at);
    const double scale = s->what == U_MOVE && s->to < s->from ? s->to : s->from;
    const struct fno_conv c = net_conv(a, "", scale, s->ci, s->co);
    for (int i = 0; i < a->nd; i++) {
        n[i] = (int)(s->to * size[i] + .5);
        if (n[i] < 1) n[i] = 1;
        same &= h && n[i] == h->n[i + 1];
    }
    if (s->what == U_MOVE) return net_layer(p, &c, fd_regrid(t, h, a->nd, NULL, n), NULL, 0, -1);
    if (same) return net_layer(p, &c, h, film, at, act);
    h = fd_regrid(t, net_layer(p, &c, h, NULL, 0, -1), a->nd, NULL, n);
    return net_act(t, net_gate(p, h, s->co, film, at), act);
}

static fd_var *u_forward(fd_pass *p, fd_var *x, const void *self)
{
    const fd_arch *a = self;
    fd_tape *t = p->t;
    const int uno = a->kind == FD_UNO, w = a->width;
    int size[3], at = 0, out = 0;
    const ptrdiff_t most = 4 * (ptrdiff_t)a->u.levels * (a->layers + 1) + 2;
    struct u_step *list = fd_new(t->mem, struct u_step, most);
    if (!list) return NULL;
    const int count = (int)((uno ? uno_steps : unet_steps)(list, a) - list);
    fd_var **value = fd_new(t->mem, fd_var *, count + 1);
    for (int k = 0; k < count; k++) if (list[k].what != U_MOVE) out += 2 * list[k].co;
    fd_var *h = net_pad(p, a, net_lift(p, a, x));
    for (int i = 0; i < a->nd; i++) size[i] = h ? h->n[i + 1] : p->s->n[i];
    fd_var *film = net_film(p, a, uno ? a->embed : 4 * a->embed, out, 0);
    for (int k = 0; k < count && value; k++) {
        value[k] = h;
        fd_scope(p, "step", k);
        if (list[k].join >= 0) h = fd_concat(t, h, value[list[k].join], a->nd + 1);
        h = u_run(p, a, &list[k], h, film, at, size);
        if (list[k].what != U_MOVE) at += 2 * list[k].co;
    }
    if (uno && value) h = fd_concat(t, h, value[0], a->nd + 1);
    else h = net_act(t, h, net_map(a));
    return net_project(p, a, net_crop(p, a, h), uno ? 2 * w : w * a->u.mult[0]);
}

/* --- Transformers: FD_VIT [ViT], FD_UVIT [U-ViT code, libs/uvit.py] ---
 *
 *     h = [time, label, patches W + b] + positions                                    [ViT eq. 1]
 *     h <- h + attention(norm(h)),   h <- h + mlp(norm(h))                       [ViT eqs. 2, 3]
 *     y = conv3(unpatches(norm(h) W + b))
 *
 * U-ViT: the second half of the blocks begins with h <- [h, skip] W + b, the skips being what the
 * first half made, the last one first. */

struct vit_shape { int width, heads, mlp, act, bias; double eps; };

static struct vit_shape vit_block(const fd_arch *a)
{
    const fd_arch_vit *v = &a->vit;
    return (struct vit_shape){ a->width, v->heads, v->mlp, net_map(a), v->qkv_bias, a->eps };
}

/* x W, N(0, 1/in) at first, with a bias or without */
static fd_var *block_map(fd_pass *p, const struct vit_shape *k, const char *name, fd_var *x,
                         int out)
{
    const fd_init first = fd_init_normal(sqrt(1. / k->width));
    if (k->bias) return net_dense(p, name, x, k->width, out, first, fd_init_constant(0), NULL);
    return fd_matmul(p->t, 0, 0, x, net_weight(p, name, "w", 2, (int[]){ k->width, out }, first));
}

/* Attention of rows q [b * n][w] to `from`, or to themselves where that is NULL and not apart */
static fd_var *block_attend(fd_pass *p, const struct vit_shape *k, fd_var *q, fd_var *from,
                            int apart, const fd_real *weight)
{
    fd_tape *t = p->t;
    int b = p->b, w = k->width, fused = t->mode != FD_GRAD2 && !apart && !weight;
    fd_var *part[3] = { NULL, NULL, NULL };
    for (int i = 0; i < 1 + apart; i++) {
        static const char *const name[] = { "attn.q", "attn.kv", "attn.qkv" };
        int c = apart ? 1 + i : 3, rows;
        fd_var *y = block_map(p, k, name[apart ? i : 2], i ? from : q, c * w);
        if (!y) continue;
        rows = y->n[0] / b;
        if (fused) return fuse_attend(t, fd_reshape(t, y, 3, (int[]){ b, rows, 3 * w }), k->heads);
        for (int j = 0; j < c; j++)
            part[i + j] = fd_reshape(t, fd_slice(t, y, 1, j * w, w), 3, (int[]){ b, rows, w });
    }
    return fd_attention_over(t, part[0], part[1], part[2], k->heads, weight);
}

/* A block: h <- h + attention(norm h), h <- h + mlp(norm h), with film (1 + gamma) norm h + beta.
 * apart: keys and values are those of `from`. weight: of the points that are the keys, or NULL. */
static fd_var *net_attention(fd_pass *p, const struct vit_shape *k, fd_var *h, int apart,
                             fd_var *from, const fd_real *weight, fd_var *film, int at)
{
    static const char *const mlp[2] = { "mlp.fc1", "mlp.fc2" };
    const fd_init first = fd_init_normal(sqrt(1. / k->width)), zero = fd_init_constant(0);
    fd_tape *t = p->t;
    int w = k->width;                                 /* FD_VIT [ViT eqs. 2, 3] */
    fd_var *u = net_gate(p, net_norm(p, "norm1", h, w, 0, 0, k->eps), w, film, at);
    if (apart) from = net_norm(p, "normk", from, w, 0, 0, k->eps);
    u = fuse_flat(t, block_attend(p, k, u, from, apart, weight));
    h = net_dense(p, "attn.proj", u, w, w, first, zero, h);
    u = net_gate(p, net_norm(p, "norm2", h, w, 0, 0, k->eps), w, film, film ? at + 2 * w : 0);
    return fd_add(t, h, net_mlp(p, mlp, u, w, k->mlp, w, k->act, 1));
}

/* place of token i of n in units of the `ref` tokens that the positions were made for */
static double vit_place(int i, int n, int ref) { return (i + .5) * ref / n - .5; }

/* learned positions: linear interpolation along one axis after another, the ends repeated */
static fd_var *vit_resample(fd_tape *t, fd_var *p, int axis, int n)
{
    int ref = p ? p->n[axis] : n;
    if (ref == n) return p;
    fd_real *m = fd_new(t->mem, fd_real, (ptrdiff_t)n * ref);
    for (int i = 0; i < n && m; i++) {
        double u = vit_place(i, n, ref);
        if (u < 0) u = 0;
        if (u > ref - 1) u = ref - 1;
        int j = (int)u, k = j + 1 < ref ? j + 1 : j;
        m[(ptrdiff_t)i * ref + j] += (fd_real)(1 - (u - j));
        m[(ptrdiff_t)i * ref + k] += (fd_real)(u - j);
    }
    return op_along(t, p, axis, n, ref, m, 0);
}

/* [tokens][width]. Fixed ones: for each axis a share of the width, cosines, then sines, of the
 * place times 10000^(-j/q). */
static fd_var *vit_position(fd_pass *p, const fd_arch *a, const int T[3])
{
    fd_tape *t = p->t;
    int tokens = T[0] * T[1] * T[2], w = a->width, q = w / (2 * a->nd), n[FD_MAXD];
    if (a->vit.pos == FD_POS_LEARNED) {
        for (int i = 0; i < a->nd; i++) n[i] = a->grid[i] / a->vit.patch[i];
        n[a->nd] = w;
        fd_var *v = fd_weight(p, "pos_embed", a->nd + 1, n, fd_init_normal(.02));
        for (int i = 0; i < a->nd; i++) v = vit_resample(t, v, i, T[i]);
        return fd_reshape(t, v, 2, (int[]){ tokens, w });
    }
    if (p->plan) return NULL;
    fd_real *x = fd_new(t->mem, fd_real, (ptrdiff_t)tokens * w);
    for (int i = 0; i < tokens && x; i++) {
        int rest = i;
        for (int d = a->nd - 1; d >= 0; d--) {
            double u = vit_place(rest % T[d], T[d], a->grid[d] / a->vit.patch[d]);
            rest /= T[d];
            for (int j = 0; j < q; j++) {
                double v = u * pow(10000.0, -(double)j / q);
                x[(ptrdiff_t)i * w + 2 * q * d + j] = (fd_real)cos(v);
                x[(ptrdiff_t)i * w + 2 * q * d + q + j] = (fd_real)sin(v);
            }
        }
    }
    return fd_input(t, 2, (int[]){ tokens, w }, x);
}

/* rows of tokens: time, label and the T[0] x T[1] x T[2] patches of x, which is on the grid s */
static fd_var *vit_tokens(fd_pass *p, const fd_arch *a, const fd_space *s, fd_var *x,
                          const int T[3])
{
    fd_tape *t = p->t;
    const struct net_place c = { .coords = a->coords, .own = 1 };
    int w = a->width, n[FD_MAXD] = { p->b }, in = net_inputs(a, &c), size = in;
    const int all[3] = { p->b, T[0] * T[1] * T[2], w }, one[3] = { p->b, 1, w };
    fd_var *clock = NULL, *label = NULL;
    memcpy(n + 1, s->n, (size_t)a->nd * sizeof *n);
    n[a->nd + 1] = in;
    for (int i = 0; i < a->nd; i++) size = net_times(size, a->vit.patch[i]);
    fd_var *h = fd_patches(t, fd_reshape(t, net_input(p, a, &c, s, x), a->nd + 2, n), a->vit.patch);
    h = fd_reshape(t, net_linear(p, "patch_embed", fuse_flat(t, h), size, w, 1), 3, all);
    if (a->time == FD_TIME_TOKEN) {
        clock = net_clock(p, a->embed, a->tscale, a->clock);
        clock = fd_reshape(t, net_time_mlp(p, clock, a->embed, 4 * w, w, 1), 3, one);
    }
    if (a->labels) label = fd_reshape(t, net_label(p, a->labels, w), 3, one);
    if (a->vit.pos != FD_POS_NONE) h = fd_add(t, h, vit_position(p, a, T));
    if (a->labels) h = fd_concat(t, label, h, 1);
    if (a->time == FD_TIME_TOKEN) h = fd_concat(t, clock, h, 1);
    return fuse_flat(t, h);
}

/* rows of the patches after the last norm */
static fd_var *vit_trunk(fd_pass *p, const fd_arch *a, const fd_space *s, fd_var *x, int T[3])
{
    fd_tape *t = p->t;
    const struct vit_shape k = vit_block(a);
    const int w = a->width, L = a->layers, half = a->kind == FD_UVIT ? L / 2 : 0;
    const int first = (a->time == FD_TIME_TOKEN) + (a->labels > 0);
    for (int i = 0; i < 3; i++) T[i] = i < a->nd ? s->n[i] / a->vit.patch[i] : 1;
    const int tokens = T[0] * T[1] * T[2];
    fd_var *h = vit_tokens(p, a, s, x, T), **skip = fd_new(t->mem, fd_var *, half + 1);
    for (int l = 0; l < L && skip; l++) {
        int from = L - 1 - l;                         /* the block whose result comes in again */
        int out = from < half, i = l < half ? l : l - (out ? L - half : half);
        fd_real *room = t->mode == FD_EVAL && h ? fd_raw(t->mem, fd_real, fd_count(h)) : NULL;
        char *mark = t->mem->beg;
        fd_var *was = t->last;
        fd_scope(p, a->kind == FD_VIT ? "blocks." : l < half ? "in_blocks."
                  : out ? "out_blocks." : "mid_blocks.", i);
        if (out)
            h = net_dense(p, "skip_linear", fd_concat(t, h, skip[from], 1), 2 * w, w,
                          fd_init_normal(.02), fd_init_constant(0), NULL);
        h = net_attention(p, &k, h, 0, NULL, NULL, NULL, 0);
        if (room) h = net_settle(t, h, room, mark, was);
        if (l < half) skip[l] = h;
    }
    fd_scope(p, NULL, 0);
    h = fd_reshape(t, h, 3, (int[]){ p->b, tokens + first, w });
    if (first) h = fd_slice(t, h, 1, first, tokens);
    return net_norm(p, "norm", fuse_flat(t, h), w, 0, 0, a->eps);
}

static fd_var *vit_forward(fd_pass *p, fd_var *x, const void *self)
{
    const fd_arch *a = self;
    fd_tape *t = p->t;
    const fd_init zero = fd_init_constant(0);
    int T[3], size = a->out, n[FD_MAXD];
    fd_var *h = vit_trunk(p, a, p->s, x, T);
    for (int i = 0; i < a->nd; i++) size = net_times(size, a->vit.patch[i]);
    h = net_dense(p, "decoder_pred", h, a->width, size, fd_init_normal(.02), zero, NULL);
    h = fd_reshape(t, h, 3, (int[]){ p->b, T[0] * T[1] * T[2], size });
    h = fd_unpatches(t, h, a->nd, p->s->n, a->vit.patch);
    double taps = 1;
    for (int i = 0; i < a->nd; i++) taps *= n[i] = 3;
    n[a->nd] = n[a->nd + 1] = a->out;
    fd_init first = net_glorot(taps * a->out, a->out);
    fd_var *w = fd_weight(p, "final_layer.w", a->nd + 2, n, first);
    h = fd_conv3(t, h, w, a->edges == FD_EDGES_SPACE ? p->s->bc : NULL);
    h = fd_add(t, h, fd_weight(p, "final_layer.b", 1, &a->out, zero));
    return net_output(p, h, a->out);
}

/* --- Coordinate networks: FD_SIREN [SIREN eq. 3], FD_GABOR, modulated [functa; FDP] ---
 *
 *     h = (places, x, t),   h <- sin(omega ((1 + scale) (h W + b) + shift)),   y = h W + b
 *
 * Gabor: the sine times exp(-10 (..)^2), and the inputs again at every layer. The modulations are
 * the shifts, with FD_MOD_SCALE the scales, or with FD_MOD_WEIGHTS a change of all W and b; with
 * latent numbers z they are z D + d. First values [SIREN sec. 3.2]. */

static struct net_place coord_places(const fd_arch *a)
{
    int own = a->edges == FD_EDGES_PLAIN, k = !own;
    return (struct net_place){ a->coords, own, { k, k, k }, 1 };
}

static int net_seen(const fd_arch *a) { return a->inr.blind ? 0 : a->in; }

/* inputs of layer l */
static int coord_in(const fd_arch *a, int l)
{
    const struct net_place c = coord_places(a);
    int first = net_seen(a) + places_count(&c, a->nd) + net_clocked(a);
    return l ? a->width + (a->kind == FD_GABOR ? first : 0) : first;
}

/* how many numbers modulate a sample, before `latent` ones are decoded; -1: too many to count */
static ptrdiff_t coord_mods(const fd_arch *a)
{
    double all = 0;
    if (a->inr.mod != FD_MOD_WEIGHTS) return (ptrdiff_t)a->inr.mod * a->layers * a->width;
    for (int l = 0; l <= a->layers; l++)
        all += (coord_in(a, l) + 1.) * (l < a->layers ? a->width : a->out);
    return all < (double)(PTRDIFF_MAX / 64) ? (ptrdiff_t)all : -1;
}

/* that number as an extent, INT_MAX where it is too large */
static int coord_extent(const fd_arch *a)
{
    ptrdiff_t n = coord_mods(a);
    return n < 0 || n > INT_MAX ? INT_MAX : (int)n;
}

/* the parts of the layers 0..layers, in order, and of the decoder of latent numbers */
struct coord_part { fd_var *w, *b; };

static struct coord_part *coord_parts(fd_pass *p, const fd_arch *a, struct coord_part *decoder)
{
    struct coord_part *part = fd_raw(p->t->mem, struct coord_part, a->layers + 1);
    const fd_init zero = fd_init_constant(0);
    for (int l = 0; l <= a->layers && part; l++) {
        int in = coord_in(a, l), out = l < a->layers ? a->width : a->out;
        double bound = l ? sqrt(6. / in) / a->inr.omega : 1. / in;
        fd_scope(p, "layer", l);
        part[l].w = fd_weight(p, "w", 2, (int[]){ in, out }, fd_init_uniform(-bound, bound));
        part[l].b = fd_weight(p, "b", 1, &out, zero);
    }
    fd_scope(p, NULL, 0);
    if (a->inr.mod && a->inr.latent) {
        const int n[2] = { a->inr.latent, coord_extent(a) };
        fd_init first = fd_init_normal(1 / (sqrt(a->inr.latent) * a->inr.omega));
        decoder->w = net_weight(p, "latent", "w", 2, n, first);
        decoder->b = net_weight(p, "latent", "b", 1, n + 1, zero);
    }
    return part;
}

/* w, with modulated weights, whose changes are at `at`, one for each sample */
static fd_var *coord_weight(fd_tape *t, fd_var *w, fd_var *mods, int *at)
{
    if (!mods) return w;
    int size = (int)fd_count(w), n[3] = { mods->n[0], w->nd == 2 ? w->n[0] : 1, w->n[w->nd - 1] };
    fd_var *d = fd_slice(t, mods, 1, *at, size);
    *at += size;
    return fd_add(t, fd_reshape(t, d, 3, n), w);
}

/* scale and shift of layer l within the sine: omega ((1 + scale) (u + bias) + shift) */
static fd_var *coord_gate(fd_tape *t, const fd_arch *a, fd_var *bias, fd_var *gates, int l)
{
    int w = a->width, parts = a->inr.mod == FD_MOD_SCALE ? 2 : 1;
    int from = l * parts * w, n[3] = { gates ? gates->n[0] : 1, 1, w };
    fd_var *shift = fd_reshape(t, bias, 3, (int[]){ 1, 1, w }), *scale = NULL;
    if (gates && parts == 2) {                        /* [functa code, function_reps.py] */
        scale = fd_reshape(t, fd_slice(t, gates, 1, from + w, w), 3, n);
        scale = fd_affine(t, scale, 1, 1);
        shift = fd_mul(t, scale, shift);
    }
    if (gates) shift = fd_add(t, fd_reshape(t, fd_slice(t, gates, 1, from, w), 3, n), shift);
    if (!scale) {
        fd_real *one = fd_raw(t->mem, fd_real, (ptrdiff_t)n[0] * w);
        for (ptrdiff_t i = 0; one && i < (ptrdiff_t)n[0] * w; i++) one[i] = 1;
        scale = fd_input(t, 3, n, one);
    }
    return fd_affine(t, fd_concat(t, scale, shift, 1), a->inr.omega, 0);
}

/* f(omega ((1 + scale) a + shift)) of layer l, operator by operator */
static fd_var *coord_act(fd_tape *t, const fd_arch *a, fd_var *h, fd_var *gates, int l)
{
    int w = a->width, each = a->inr.mod == FD_MOD_SCALE ? 2 * w : w;
    int n[3] = { gates ? gates->n[0] : 1, 1, w };
    if (gates && a->inr.mod == FD_MOD_SCALE) {
        fd_var *scale = fd_reshape(t, fd_slice(t, gates, 1, l * each + w, w), 3, n);
        h = fd_mul(t, h, fd_affine(t, scale, 1, 1));
    }
    if (gates) h = fd_add(t, h, fd_reshape(t, fd_slice(t, gates, 1, l * each, w), 3, n));
    return a->kind == FD_GABOR ? fd_gabor(t, h, a->inr.omega, 10)
                               : fd_map(t, fd_affine(t, h, a->inr.omega, 0), FD_SIN);
}

/* what the first layer gets, [b][points][places, x, t] */
static fd_var *coord_input(fd_pass *p, const fd_arch *a, const fd_space *s, fd_var *x)
{
    fd_tape *t = p->t;
    const struct net_place c = coord_places(a);
    const int own = places_count(&c, a->nd);
    fd_var *u = net_places(p, &c, s, net_clocked(a), a->tscale);
    if (!x) return u;
    fd_var *v = fd_slice(t, u, 2, 0, own);
    v = fd_concat(t, v, fd_permute(t, x, (int[]){ 0, 2, 1 }), 2);
    return net_clocked(a) ? fd_concat(t, v, fd_slice(t, u, 2, own, 1), 2) : v;
}

static fd_var *coord_forward(fd_pass *p, const fd_arch *a, const fd_space *s, fd_var *x,
                             fd_var *mods)
{
    fd_tape *t = p->t;
    struct coord_part decoder = { NULL, NULL }, *part = coord_parts(p, a, &decoder);
    int at = 0;
    if (p->plan || !part) return NULL;
    if (mods && a->inr.latent) mods = fuse_dense(t, mods, decoder.w, decoder.b, NULL);
    fd_var *weights = a->inr.mod == FD_MOD_WEIGHTS ? mods : NULL, *gates = weights ? NULL : mods;
    fd_var *first = coord_input(p, a, s, x), *h = first, *ws = NULL, *ss = NULL;
    int fused = t->mode != FD_GRAD2 && !weights && a->kind == FD_SIREN;
    for (int l = 0; l <= a->layers && h; l++) {
        if (l && a->kind == FD_GABOR) h = fd_concat(t, h, first, 2);
        fd_var *w = coord_weight(t, part[l].w, weights, &at);
        fd_var *bias = coord_weight(t, part[l].b, weights, &at);
        if (fused && l == a->layers) {
            h = fd_add(t, fuse_waves(t, h, ws, ss, w), bias);
        } else if (fused) {
            fd_var *flat = fd_reshape(t, w, 1, (int[]){ (int)fd_count(w) });
            fd_var *gate = coord_gate(t, a, bias, gates, l);
            ws = l ? fd_concat(t, ws, flat, 0) : flat;
            ss = l ? fd_concat(t, ss, gate, 1) : gate;
        } else {
            h = fd_add(t, fd_matmul(t, 0, 0, h, w), bias);
            if (l < a->layers) h = coord_act(t, a, h, gates, l);
        }
    }
    return fd_permute(t, h, (int[]){ 0, 2, 1 });
}

/* --- Networks that adapt to what they are given ---
 * [MAML sec. 2.2, eq. 1, algs. 1, 2; Meta-SGD alg. 1] */

fd_var *fd_adapt(fd_tape *t, int steps, double clip, fd_var *m, fd_var *rate,
                 fd_var *(*loss)(const void *self, fd_tape *t, fd_var *m), const void *self)
{
    if (!m || !rate) return NULL;
    if (!m->needs) m = fd_param(t, m->nd, m->n, m->x, NULL);
    for (int i = 0; i < steps && m; i++) {
        fd_var *g = NULL;
        fd_grad(t, loss(self, t, m), NULL, 1, &m, &g);
        if (clip > 0) {                               /* g - (g - clip)_+ + (-g - clip)_+ */
            fd_var *over = fd_map(t, fd_affine(t, g, 1, -clip), FD_RELU);
            fd_var *under = fd_map(t, fd_affine(t, g, -1, -clip), FD_RELU);
            g = fd_add(t, fd_sub(t, g, over), under);
        }
        m = fd_sub(t, m, fd_sum_to(t, fd_mul(t, g, rate), m->nd, m->n));
    }
    return m;
}

/* numbers that a sample has; the rates of the inner loop are as many */
static ptrdiff_t coord_size(const fd_arch *a)
{
    return a->inr.latent ? a->inr.latent : coord_mods(a);
}

static fd_var *coord_rate(fd_pass *p, const fd_arch *a)
{
    const int n = a->inr.latent ? a->inr.latent : coord_extent(a);
    if (a->inr.rates) return fd_weight(p, "rate", 1, &n, fd_init_constant(a->inr.rate));
    fd_real *rate = fd_raw(p->t->mem, fd_real, 1);
    if (rate) *rate = (fd_real)a->inr.rate;
    return fd_input(p->t, 1, (int[]){ 1 }, rate);
}

struct coord_inner { const fd_pass *p; const fd_arch *a; fd_var *x; };

static fd_var *coord_field(const struct coord_inner *c, fd_var *m)
{
    fd_pass p = *c->p;
    return coord_forward(&p, c->a, p.s, net_seen(c->a) ? c->x : NULL, m);
}

/* sum over the batch of |field(m) - x|^2 [FDP code, models/base_maml.py] */
static fd_var *coord_loss(const void *self, fd_tape *t, fd_var *m)
{
    const struct coord_inner *c = self;
    const fd_space *s = c->p->s;
    fd_var *d = fd_map(t, fd_sub(t, coord_field(c, m), c->x), FD_SQUARE);
    if (s->weight) d = fd_mul(t, d, fd_input(t, 1, (int[]){ (int)s->points }, s->weight));
    return fd_affine(t, fd_sum_to(t, d, 1, (int[]){ 1 }), s->weight ? 1 : s->h, 0);
}

/* The field with the modulations that the inner loop finds for x. A tape without gradients lends
 * its memory to one that has them. */
static fd_var *coord_adapt(const fd_pass *p, const fd_arch *a, fd_var *x)
{
    fd_tape *t = p->t, own = *t;
    fd_pass q = *p;
    const int eval = t->mode == FD_EVAL, n[2] = { p->b, (int)coord_size(a) };
    const int out[3] = { p->b, a->out, (int)p->s->points };
    fd_real *room = eval ? fd_raw(t->mem, fd_real, (ptrdiff_t)out[0] * out[1] * out[2]) : NULL;
    if (eval) {
        own = fd_tape_begin(t->mem, FD_GRAD);
        q.t = &own;
        q.frozen = 1;
        x = fd_input(&own, x->nd, x->n, x->x);
    }
    const struct coord_inner c = { &q, a, x };
    fd_real *zero = fd_new(t->mem, fd_real, (ptrdiff_t)n[0] * n[1]);
    if (!zero) return NULL;
    fd_var *by = coord_rate(&q, a), *m = fd_input(q.t, 2, n, zero);
    fd_var *y = coord_field(&c, fd_adapt(q.t, a->inr.inner, a->inr.clip, m, by, coord_loss, &c));
    if (!eval || !y) return y;
    memcpy(room, y->x, (size_t)fd_count(y) * sizeof *room);
    fd_tape_end(&own);
    return fd_input(t, 3, out, room);
}

static fd_var *coord_page(fd_pass *p, fd_var *x, const void *self)
{
    const fd_arch *a = self;
    if (a->inr.inner && !p->plan) return coord_adapt(p, a, x);
    fd_var *y = coord_forward(p, a, p->s, x, NULL);
    if (a->inr.inner && a->inr.rates) coord_rate(p, a);
    return y;
}

/* --- A transformer on points: FD_POINTS ---
 *
 *     tokens h = mlp(places, x, t), queries q = mlp(places [, x], t)
 *     h <- latent tokens that read h, blocks of h;   y = norm(block of q with keys h) W + b
 *
 * Keys that are points have the weights of a quadrature. */

/* where x is asked for as well: on the points of the answer */
static fd_var *net_pixels(fd_pass *p, fd_var *x)
{
    if (p->to == p->s) return x;
    if (p->to->basis || p->s->basis)
        return TAPE_FAIL(p->t, "fd_query",
                         "the network takes pixels where it answers: wants grids");
    return net_regrid(p->t, p->s, x, p->to->n);
}

static fd_var *points_mlp(fd_pass *p, const fd_arch *a, const char *zero, const char *one,
                          fd_var *x, int in)
{
    const int lift = a->points.lift;
    const char *const name[2] = { lift > 0 ? zero : one, one };
    return net_mlp(p, name, fuse_flat(p->t, x), in, lift, a->width, net_map(a), 1);
}

static fd_var *points_forward(fd_pass *p, fd_var *x, const void *self)
{
    const fd_arch *a = self;
    fd_tape *t = p->t;
    const struct vit_shape k = vit_block(a);
    struct net_place c = { a->coords, a->edges == FD_EDGES_PLAIN, { 0 }, 1 };
    memcpy(c.pairs, a->points.waves, sizeof c.pairs);
    const int w = a->width, in = net_inputs(a, &c), clock = net_clocked(a);
    const int sees = a->points.pixels, latent = a->points.latent;
    const fd_real *weight = p->s->weight;
    fd_var *pixels = sees ? net_pixels(p, x) : NULL;
    if (sees && !pixels) return NULL;
    fd_var *h = points_mlp(p, a, "token0", "token1", net_input(p, a, &c, p->s, x), in);
    fd_var *q = sees ? net_input(p, a, &c, p->to, pixels)
                     : net_places(p, &c, p->to, clock, a->tscale);
    q = points_mlp(p, a, "query0", "query1", q, sees ? in : in - a->in);
    fd_var *film = net_film(p, a, a->embed, net_times(a->layers + 1, 4 * w), 1);
    if (latent) {
        fd_var *z = fd_weight(p, "latent", 2, (int[]){ latent, w }, fd_init_normal(.02));
        z = fd_spread(t, z, 3, (int[]){ p->b, latent, w });
        fd_scope(p, "read", 0);
        h = net_attention(p, &k, fuse_flat(t, z), 1, h, weight, NULL, 0);
        weight = NULL;
    }
    for (int l = 0; l < a->layers; l++) {
        fd_scope(p, "blocks.", l);
        h = net_attention(p, &k, h, 0, NULL, weight, film, net_times(l, 4 * w));
    }
    fd_scope(p, "answer", 0);
    q = net_attention(p, &k, q, 1, h, weight, film, net_times(a->layers, 4 * w));
    fd_scope(p, NULL, 0);
    q = net_norm(p, "norm", q, w, 0, 0, a->eps);
    q = net_dense(p, "decoder_pred", q, w, a->out, fd_init_normal(.02), fd_init_constant(0), NULL);
    return net_output(p, q, a->out);
}

/* Which networks read a number: those of these kinds, of all, with a field */
enum {
    OF_ALL = 1 << 30, OF_FIELD = 1 << 29,
    OF_FNO = 1 << FD_FNO_ORIGINAL | 1 << FD_FNO_BLOCK, OF_HDM = 1 << FD_FNO_SEPARABLE,
    OF_UNO = 1 << FD_UNO, OF_UNET = 1 << FD_FNO_UNET, OF_U = OF_UNO | OF_UNET,
    OF_FOURIER = OF_FNO | OF_HDM | OF_U, OF_VIT = 1 << FD_VIT | 1 << FD_UVIT,
    OF_POINTS = 1 << FD_POINTS, OF_INR = 1 << FD_SIREN | 1 << FD_GABOR,
    OF_TRUNK = OF_FNO | OF_HDM | OF_VIT                   /* may have a field */
};

/* One number of a configuration: its key in files, its type and its places; of each whose it is,
 * its range, its name and what is said where it is out of range. Every one is checked before
 * anything is computed from any of them. */
struct place { int of; size_t at; double lo, hi; const char *name, *fault; };
struct field { const char *key; int real; struct place place[2]; };

static const struct field arch_fields[] = {
#define AT(of, x, lo, hi) { of, offsetof(fd_arch, x), lo, hi, #x, \
                            #x " must be " #lo ".." #hi ", is" }
#define IN(of, x, lo, hi) { of, offsetof(fd_arch, x), lo, hi, #x, #x " must be in " #lo ".." #hi }
#define ALL(x, lo, hi)        { "arch." #x, 0, { AT(OF_ALL, x, lo, hi) } }
#define INT(key, of, x, lo, hi)  { "arch." key, 0, { AT(of, x, lo, hi) } }
#define REAL(key, of, x, lo, hi) { "arch." key, 1, { IN(of, x, lo, hi) } }
#define MODES(i) { "arch.modes" #i, 0, { AT(OF_FOURIER, fno.modes[i], 0, 65536), \
                                         AT(OF_POINTS, points.waves[i], 0, 16) } }
#define PATCH(i) INT("patch" #i, OF_VIT, vit.patch[i], 0, 64)
#define GRID(i)  INT("grid" #i, OF_ALL, grid[i], 0, 65536)
#define LEVEL(i) INT("mult" #i, OF_U, u.mult[i], 0, 64), REAL("scale" #i, OF_U, u.scale[i], 0, 1)
    ALL(kind, FD_FNO_ORIGINAL, FD_FNO_SEPARABLE), ALL(nd, 1, 3), ALL(in, 0, 65536),
    ALL(out, 1, 65536), ALL(width, 0, 65536), ALL(layers, 0, 9999), MODES(0), MODES(1), MODES(2),
    { "arch.lift", 0, { AT(OF_FOURIER, fno.lift, -1, 65536),
                        AT(OF_POINTS, points.lift, -1, 65536) } },
    INT("proj", OF_FOURIER, fno.proj, -1, 65536),
    ALL(time, 0, FD_TIME_NONE), ALL(coords, 0, FD_COORD_NONE), ALL(act, 0, FD_IDENTITY),
    ALL(embed, 0, 65536), INT("linear", OF_FOURIER, fno.linear, 0, 1),
    INT("residual", OF_FNO, fno.residual, 0, 1), REAL("tscale", OF_ALL, tscale, -1e9, 1e9),
    PATCH(0), PATCH(1), PATCH(2), GRID(0), GRID(1), GRID(2),
    INT("heads", OF_VIT | OF_POINTS, vit.heads, 0, 65536),
    { "arch.mlp", 0, { AT(OF_VIT | OF_POINTS, vit.mlp, 0, 65536),
                       AT(OF_HDM, fno.mlp, 0, 65536) } },
    INT("pos", OF_VIT, vit.pos, FD_POS_WAVES, FD_POS_NONE),
    INT("qkv_bias", OF_VIT | OF_POINTS, vit.qkv_bias, 0, 1),
    INT("mod", OF_INR | OF_FIELD, inr.mod, FD_MOD_NONE, FD_MOD_WEIGHTS),
    { "arch.latent", 0, { AT(OF_INR | OF_FIELD, inr.latent, 0, 65536),
                          AT(OF_POINTS, points.latent, 0, 65536) } },
    INT("field", OF_TRUNK, field.kind, 0, FD_GABOR),
    INT("field_width", OF_FIELD, field.width, 0, 65536),
    INT("field_layers", OF_FIELD, field.layers, 0, 9999),
    { "arch.pixels", 0, { AT(OF_FIELD, field.pixels, 0, 1), AT(OF_POINTS, points.pixels, 0, 1) } },
    INT("pool", OF_FIELD, field.pool, 0, 64), INT("levels", OF_U, u.levels, 0, 6),
    INT("groups", OF_HDM | OF_UNET, fno.groups, 0, 65536),
    ALL(clock, FD_CLOCK_WAVES, FD_CLOCK_RANDOM), REAL("rank", OF_UNO, u.rank, 0, 1),
    REAL("pad", OF_FOURIER, fno.pad[0], 0, 4), REAL("pad1", OF_FOURIER, fno.pad[1], 0, 4),
    REAL("pad2", OF_FOURIER, fno.pad[2], 0, 4),
    LEVEL(0), LEVEL(1), LEVEL(2), LEVEL(3), LEVEL(4), LEVEL(5),
    INT("inner", OF_INR, inr.inner, 0, 1000), INT("rates", OF_INR, inr.rates, 0, 1),
    INT("first", OF_INR, inr.first, 0, 1), INT("blind", OF_INR, inr.blind, 0, 1),
    INT("acts", OF_FNO, fno.acts, -1, 9999), INT("mix", OF_FNO, fno.mix, 0, 65536),
    INT("mix_acts", OF_FNO, fno.mix_acts, -1, 9999), INT("gates", OF_FNO, fno.gates, 0, 1),
    INT("norms", OF_FNO, fno.norms, 0, 65536),
    REAL("omega", OF_INR | OF_FIELD, inr.omega, 0, 1e6), REAL("rate", OF_INR, inr.rate, 0, 1e9),
    REAL("inner_clip", OF_INR, inr.clip, 0, 1e30), REAL("eps", OF_ALL, eps, 0, 1),
    ALL(edges, 0, FD_EDGES_PLAIN), INT("stencil", OF_FNO, fno.stencil, 0, 9),
    ALL(labels, 0, 65535)
#undef LEVEL
#undef GRID
#undef PATCH
#undef MODES
#undef REAL
#undef INT
#undef ALL
#undef IN
#undef AT
};
static const struct field adam_fields[] = {
#define ADAM(key, real, x, lo, hi, fault) \
    { "adam." key, real, { { OF_ALL, offsetof(fd_opt, x), lo, hi, key, key " must be " fault } } }
    ADAM("lr", 1, how.lr, 0, 1e6, "in 0..1e6"), ADAM("lr_end", 1, how.lr_end, 0, 1e6, "in 0..1e6"),
    ADAM("beta1", 1, how.beta1, 0, 1 - 1e-12, "at least 0 and below 1"),
    ADAM("beta2", 1, how.beta2, 0, 1 - 1e-12, "at least 0 and below 1"),
    ADAM("eps", 1, how.eps, 1e-30, 1, "in 1e-30..1"),
    ADAM("decay", 1, how.decay, 0, 1e6, "in 0..1e6"),
    ADAM("clip", 1, how.clip, 0, 1e30, "in 0..1e30"),
    ADAM("clip_each", 1, how.clip_each, 0, 1e30, "in 0..1e30"),
    ADAM("ema", 1, how.ema, 0, 1, "in 0..1"),
    ADAM("warmup", 0, how.warmup, 0, INT_MAX, "at least 0, is"),
    ADAM("steps", 0, how.steps, 0, INT_MAX, "at least 0, are"),
    ADAM("rule", 0, how.rule, FD_ADAMW, FD_ADABELIEF, "FD_ADAMW..FD_ADABELIEF, is"),
    ADAM("step", 0, step, 0, INT_MAX - 1, "0..2147483646, is")
#undef ADAM
};
enum { ARCH_FIELDS = sizeof arch_fields / sizeof *arch_fields,
       ADAM_FIELDS = sizeof adam_fields / sizeof *adam_fields };

/* this network among OF_ALL.. */
static int arch_is(const fd_arch *a)
{
    const int kind = a->kind >= 0 && a->kind <= FD_OWN ? 1 << a->kind : 0;
    return OF_ALL | kind | (kind & OF_TRUNK && a->field.kind ? OF_FIELD : 0);
}

/* the place of a number in a network that is this, or NULL: it does not read it */
static const struct place *field_place(const struct field *f, int is)
{
    return f->place[0].of & is ? &f->place[0] : f->place[1].of & is ? &f->place[1] : NULL;
}

static double field_value(const struct field *f, const struct place *p, const void *of)
{
    double x;
    int v;
    memcpy(&x, (const char *)of + p->at, f->real ? sizeof x : 0);
    memcpy(&v, (const char *)of + p->at, sizeof v);
    return f->real ? x : v;
}

/* records a number that is out of its range; 1 where it is not */
static int field_fits(fd_status *st, const char *where, const struct field *f,
                      const struct place *p, const void *of)
{
    const double x = field_value(f, p, of);
    if (x >= p->lo && x <= p->hi) return 1;
    if (f->real) FD_FAIL(st, FD_EARG, where, p->fault);
    else FD_FAIL(st, FD_EARG, where, p->fault, x);
    return 0;
}

/* the same of all that such a network reads */
static int field_check(fd_status *st, const char *where, int n, const struct field *f, int is,
                       const void *of)
{
    for (int i = 0; i < n; i++) {
        const struct place *p = field_place(&f[i], is);
        if (p && !field_fits(st, where, &f[i], p, of)) return 0;
    }
    return 1;
}

/* --- A network that gives the modulations of a field [Thesis eqs. 4.1-4.3] ---
 *
 *     mods = (features of x on `pool` points an axis, their lowest modes) W + b,   y = field(mods)
 *
 * Transformers read x on the grid of their positions. */

/* The field as a coordinate network. Its channel of time is on [-1, 1] where the embedding's
 * argument is on [0, 1000]. */
static fd_arch net_field_arch(const fd_arch *a)
{
    fd_arch f = *a;
    f.kind = a->field.kind;
    f.field.kind = 0;
    f.width = a->field.width;
    f.layers = a->field.layers;
    f.in = a->field.pixels ? a->in : 0;
    if (f.coords == FD_COORD_NONE) f.coords = FD_COORD_OPEN;
    if (a->time != FD_TIME_NONE && a->time != FD_TIME_CHANNEL) {
        f.time = FD_TIME_CHANNEL;
        f.tscale = a->tscale / 1000;
    }
    return f;
}

/* modulations [b][fd_inr_size] */
static fd_var *field_encode(fd_pass *p, const fd_arch *a, fd_var *x)
{
    fd_tape *t = p->t;
    const fd_arch f = net_field_arch(a);
    const int vit = a->kind == FD_VIT || a->kind == FD_UVIT, w = a->width, b = p->b;
    const int out = f.inr.latent ? f.inr.latent : coord_extent(&f);
    fd_space grid = *p->s;
    int T[3], n[FD_MAXD] = { b }, bc[3] = { 0 }, pool[3] = { 0 }, in = w;
    fd_var *h;
    memcpy(T, grid.n, sizeof T);
    if (vit) {
        grid.points = 1;
        for (int i = 0; i < a->nd; i++) grid.points *= grid.n[i] = a->grid[i];
        h = vit_trunk(p, a, &grid, net_regrid(t, p->s, x, a->grid), T);
    } else {
        h = fourier_trunk(p, a, x);
    }
    fd_scope(p, NULL, 0);
    for (int i = 0; i < a->nd; i++) {
        n[i + 1] = T[i];
        bc[i] = vit ? FD_NEUMANN : FD_PERIODIC;
        in = net_times(in, pool[i] = a->field.pool);
    }
    n[a->nd + 1] = w;
    h = fd_regrid(t, fd_reshape(t, h, a->nd + 2, n), a->nd, bc, pool);
    h = fd_reshape(t, h, 2, (int[]){ b, in });
    return net_linear(p, "mods", h, in, out, vit);
}

static fd_var *field_forward(fd_pass *p, fd_var *x, const void *self)
{
    const fd_arch *a = self, f = net_field_arch(a);
    fd_var *pixels = a->field.pixels ? net_pixels(p, x) : NULL;
    if (a->field.pixels && !pixels) return NULL;
    fd_var *mods = field_encode(p, a, x);
    return mods || p->plan ? coord_forward(p, &f, p->to, pixels, mods) : NULL;
}

/* --- The same blocks for networks of others: fields with any axes before the channels --- */

static int net_covers(const fd_net *net, fd_tape *t, const char *where, const fd_space *s);

/* 1 where the last axis of x is c, or x is missing */
static int net_ends(fd_pass *p, const char *where, const fd_var *x, int c)
{
    if (!x || (x->nd > 0 && x->n[x->nd - 1] == c)) return 1;
    return !FD_FAIL(p->t->mem->st, FD_ESHAPE, where, "the last axis is not what was said: its "
                    "length, said", row_last(x), c);
}

fd_var *fd_dense_layer(fd_pass *p, const char *name, fd_var *x, int in, int out)
{
    if (!net_ends(p, "fd_dense_layer", x, in)) return NULL;
    return net_like(p->t, net_linear(p, name, fuse_flat(p->t, x), in, out, 0), x);
}

fd_var *fd_mlp(fd_pass *p, const char *name, fd_var *x, int in, int hidden, int out, int act)
{
    char one[48] = "", two[48] = "";
    const size_t n = name ? strlen(name) : 0;
    if (!net_ends(p, "fd_mlp", x, in)) return NULL;
    if (!name || n > 40 || act < FD_EXP || act >= FD_MAPS || hidden < 1)
        return tape_null(FD_FAIL(p->t->mem->st, FD_EARG, "fd_mlp", "no such map, no numbers inside "
                                 "or a name that is NULL or above 40 letters: map, inside, "
                                 "letters", act, hidden, n));
    memcpy(one, name, n);
    memcpy(two, name, n);
    memcpy(one + n, ".fc1", 5);
    memcpy(two + n, ".fc2", 5);
    const char *const part[2] = { one, two };
    act = act == FD_IDENTITY ? -1 : act;
    return net_like(p->t, net_mlp(p, part, fuse_flat(p->t, x), in, hidden, out, act, 0), x);
}

fd_var *fd_norm_layer(fd_pass *p, const char *name, fd_var *x, int c, int groups)
{
    if (!net_ends(p, "fd_norm_layer", x, c)) return NULL;
    return net_norm(p, name, x, c, groups, 1, 1e-5);
}

fd_var *fd_spectral_layer(fd_pass *p, const char *name, fd_var *h, int in, int out,
                          const int modes[], int act)
{
    static const char where[] = "fd_spectral_layer";
    const fd_init normal = fd_init_normal(sqrt(1. / (in + out))), zero = fd_init_constant(0);
    struct fno_conv c = { name, in, out, { { 0 }, { 0 } }, normal, zero, 0 };
    int nd = p->net->arch.nd;
    for (int i = 0; i < nd; i++) {
        if (modes[i] < 0 || modes[i] > 65536)
            return tape_null(FD_FAIL(p->t->mem->st, FD_EARG, where,
                                     "modes must be 0..65536: axis, modes", i, modes[i]));
        c.k.hi[i] = modes[i];
        c.k.lo[i] = i < nd - 1 ? -modes[i] : 0;
    }
    if (act < FD_EXP || act >= FD_MAPS)
        return tape_null(FD_FAIL(p->t->mem->st, FD_EARG, where, "no such map", act));
    if (h && h->nd != nd + 2)
        return TAPE_FAIL(p->t, where, "wants h [b][n..][in]: axes, of h", nd, h->nd);
    if (!net_ends(p, where, h, in)) return NULL;
    return net_layer(p, &c, h, NULL, 0, act == FD_IDENTITY ? -1 : act);
}

/* the block of a transformer, by either of its names: tokens attend to each other, or to `from` */
static fd_var *net_block(fd_pass *p, const char *where, fd_var *h, int apart, fd_var *from,
                         int width, int heads, int mlp)
{
    const struct vit_shape k = { width, heads, mlp, FD_GELU, 0, 1e-6 };
    if (heads < 1 || width % heads)
        return TAPE_FAIL(p->t, where, "heads do not divide the width", heads, width);
    if (!net_ends(p, where, h, width) || !net_ends(p, where, from, width)) return NULL;
    if ((h && h->n[0] != p->b) || (from && from->n[0] != p->b))
        return TAPE_FAIL(p->t, where, "the first axis of tokens is that of functions: functions",
                         p->b);
    fd_var *y = fuse_flat(p->t, h);
    y = net_attention(p, &k, y, apart, fuse_flat(p->t, from), NULL, NULL, 0);
    return net_like(p->t, y, h);
}

fd_var *fd_attention_block(fd_pass *p, fd_var *h, int width, int heads, int mlp)
{
    return net_block(p, "fd_attention_block", h, 0, NULL, width, heads, mlp);
}

fd_var *fd_cross_block(fd_pass *p, fd_var *h, fd_var *from, int width, int heads, int mlp)
{
    return net_block(p, "fd_cross_block", h, 1, from, width, heads, mlp);
}

fd_var *fd_time_embedding(fd_pass *p, int width, double scale)
{
    if (!p->time || width < 2 || width % 2)
        return tape_null(FD_FAIL(p->t->mem->st, FD_EARG, "fd_time_embedding", "wants times, one "
                                 "for each function, and an even width: width", width));
    return net_clock(p, width, scale, 0);
}

fd_var *fd_label_embedding(fd_pass *p, int labels, int width)
{
    if (labels < 1 || labels > 65535)
        return tape_null(FD_FAIL(p->t->mem->st, FD_EARG, "fd_label_embedding",
                                 "labels must be 1..65535, are", labels));
    if (p->plan) p->plan->arch.labels = labels;
    return net_label(p, labels, width);
}

fd_var *fd_film_layer(fd_pass *p, const char *name, fd_var *h, int c, fd_var *e, int width)
{
    const fd_init zero = fd_init_constant(0);
    if (!net_ends(p, "fd_film_layer", h, c) || !net_ends(p, "fd_film_layer", e, width)) return NULL;
    if (e && e->nd != 2) return TAPE_FAIL(p->t, "fd_film_layer", "wants e [b][width]: axes", e->nd);
    e = net_dense(p, name, e, width, net_times(2, c), zero, zero, NULL);
    return fd_scale_shift(p->t, h, e);
}

fd_var *fd_coordinates(fd_pass *p, const fd_space *s, int pairs)
{
    const struct net_place c = { FD_COORD_OPEN, pairs <= 0, { pairs, pairs, pairs }, 0 };
    if (pairs < 0 || pairs > 16)
        return tape_null(FD_FAIL(p->t->mem->st, FD_EARG, "fd_coordinates",
                                 "pairs must be 0..16, are", pairs));
    if (!net_covers(p->net, p->t, "fd_coordinates", s)) return NULL;
    return net_places(p, &c, s, 0, 1);
}

fd_var *fd_channels_last(fd_pass *p, fd_var *x)
{
    int n[FD_MAXD] = { p->b }, nd = p->s->basis ? 1 : p->s->nd;
    if (!x) return NULL;
    if (x->nd != 3)
        return TAPE_FAIL(p->t, "fd_channels_last", "wants x [b][ch][points]: axes", x->nd);
    n[1] = (int)p->s->points;
    if (!p->s->basis) memcpy(n + 1, p->s->n, (size_t)nd * sizeof *n);
    n[nd + 1] = x->n[1];
    return fd_reshape(p->t, fd_permute(p->t, x, (int[]){ 0, 2, 1 }), nd + 2, n);
}

fd_var *fd_channels_first(fd_pass *p, fd_var *h)
{
    return h ? net_output(p, h, row_last(h)) : NULL;
}

/* --- The kinds: what 0 means in a configuration, what makes no sense, the page --- */

/* a number of a configuration, d where it is 0 */
static void net_or(int *x, int d) { if (!*x) *x = d; }

enum { NET_MOST = 1 << 16 };                              /* of any extent */
static int net_wide(int width, int n) { return width < NET_MOST / n ? n * width : NET_MOST; }

/* the modes of each axis; half: those that count one side only */
static void fno_modes(fd_arch *a, int half)
{
    const int most = a->nd < 3 ? 13 : 6;
    for (int i = 0; i < a->nd; i++) net_or(&a->fno.modes[i], half ? most : 2 * most);
}

static void fno_defaults(fd_arch *a)
{
    const int first = a->kind == FD_FNO_ORIGINAL;
    fd_arch_fno *f = &a->fno;
    fno_modes(a, first);
    net_or(&f->lift, first ? -1 : 256);
    net_or(&f->proj, first ? 128 : 256);
    net_or(&f->acts, a->layers > 1 ? a->layers - 1 : -1);
    if (f->mix) net_or(&f->mix_acts, f->acts);
    if (a->eps == 0 && f->norms) a->eps = 1e-5;
}

static void hdm_defaults(fd_arch *a)
{
    fno_modes(a, 1);
    net_or(&a->fno.lift, -1);
    net_or(&a->fno.proj, 256);
    net_or(&a->fno.groups, 4);
    net_or(&a->fno.mlp, net_wide(a->width, 4));
}

static void u_defaults(fd_arch *a)
{
    const int uno = a->kind == FD_UNO;
    fd_arch_u *u = &a->u;
    fno_modes(a, 0);
    net_or(&a->fno.lift, -1);
    net_or(&a->fno.proj, -1);
    net_or(&u->levels, uno ? 4 : 3);
    for (int i = 0; i < FD_LEVELS; i++) {
        net_or(&u->mult[i], i == 0 ? 1 : i == 1 || !uno ? 2 : 4);
        if (u->scale[i] == 0)
            u->scale[i] = !uno ? ldexp(1, -i) : i < 4 ? 1 - .25 * i : ldexp(1, 1 - i);
    }
    if (uno) return;
    int groups = 32;
    while (groups > 1 && a->width % groups) groups /= 2;
    net_or(&a->fno.groups, groups);
    net_or(&a->act, FD_SILU);
}

/* of the blocks of a transformer */
static void block_defaults(fd_arch *a)
{
    net_or(&a->vit.heads, 4);
    net_or(&a->vit.mlp, net_wide(a->width, 4));
    if (a->eps == 0) a->eps = 1e-6;
}

static void vit_defaults(fd_arch *a)
{
    for (int i = 0; i < a->nd; i++)
        net_or(&a->vit.patch[i], !a->grid[i] || a->grid[i] % 2 ? 1 : a->grid[i] % 4 ? 2 : 4);
    block_defaults(a);
}

static void coord_defaults(fd_arch *a)
{
    net_or(&a->coords, FD_COORD_OPEN);
    if (a->inr.omega == 0) a->inr.omega = 30;
    if (a->inr.inner && a->inr.rate == 0) a->inr.rate = .01;
}

static void points_defaults(fd_arch *a)
{
    for (int i = 0; i < a->nd; i++) net_or(&a->points.waves[i], 6);
    net_or(&a->points.lift, net_wide(a->width, 2));
    net_or(&a->coords, FD_COORD_OPEN);
    block_defaults(a);
}

/* what is said of the first thing that makes no sense, and the number v that goes with it */
#define WANT(number, ok, why) if (!(ok)) { *v = number; return why; }

static const char *fno_check(const fd_arch *a, int *v)
{
    const fd_arch_fno *f = &a->fno;
    WANT(f->lift, a->kind != FD_FNO_ORIGINAL || f->lift == -1,
         "FD_FNO_ORIGINAL lifts by one layer: fno.lift must be 0 or -1, is")
    WANT(f->acts, f->acts <= a->layers, "fno.acts must be -1 or 1..layers, are")
    WANT(f->mix_acts, !f->mix || f->mix_acts <= a->layers,
         "fno.mix_acts must be -1 or 1..layers, are")
    WANT(f->norms, f->norms == 0 || (a->width % f->norms == 0 && a->time != FD_TIME_FILM),
         "fno.norms must divide the width, without scale-shift by time: norms")
    WANT(f->stencil, !f->stencil || f->stencil % 2, "fno.stencil must be odd, is")
    for (int i = 0; i < a->nd; i++)
        WANT(a->grid[i], !f->stencil || a->grid[i],
             "a stencil needs the grid that it is made for: an axis has")
    return NULL;
}

static const char *hdm_check(const fd_arch *a, int *v)
{
    WANT(a->fno.groups, a->width % a->fno.groups == 0, "fno.groups must divide the width, are")
    return NULL;
}

static const char *u_check(const fd_arch *a, int *v)
{
    for (int i = 0; i < FD_LEVELS; i++)
        WANT(a->u.mult[i], a->width <= NET_MOST / a->u.mult[i],
             "u.mult times the width must be 1..65536, mult is")
    WANT(a->layers, a->kind != FD_UNO || a->layers == 1, "a U-NO has 1 layer a level, not")
    WANT(a->layers, a->layers <= 64, "layers a level must be 1..64, are")
    return a->kind == FD_UNO ? NULL : hdm_check(a, v);
}

static const char *block_check(const fd_arch *a, int *v)
{
    WANT(a->vit.heads, a->width % a->vit.heads == 0, "vit.heads must divide the width, are")
    return NULL;
}

static const char *vit_check(const fd_arch *a, int *v)
{
    for (int i = 0, all = 1; i < a->nd; i++) {
        WANT(a->grid[i], (a->vit.pos == FD_POS_NONE && !a->field.kind)
             || (a->grid[i] && a->grid[i] % a->vit.patch[i] == 0),
             "grid must be a multiple of the patch, is")
        all = net_times(all, a->grid[i]);
        WANT(a->grid[i], all < INT_MAX, "the grid has too many points: an axis has")
    }
    WANT(a->layers, a->kind != FD_UVIT || a->layers % 2, "layers of a U-ViT must be odd, are")
    return block_check(a, v);
}

static const char *coord_check(const fd_arch *a, int *v)
{
    WANT(a->coords, a->coords != FD_COORD_NONE, "this kind of network needs coords")
    WANT(a->inr.inner, !a->inr.inner || (a->inr.mod && a->in == a->out),
         "only networks with modulations and in = out adapt: inr.inner")
    WANT(a->inr.blind, !a->inr.blind || a->inr.inner, "only networks that adapt are inr.blind")
    return NULL;
}

static const char *points_check(const fd_arch *a, int *v)
{
    WANT(a->coords, a->coords != FD_COORD_NONE, "this kind of network needs coords")
    return block_check(a, v);
}

/* what a kind may have; NET_CLOUDS: it reads functions on points that have coordinates */
enum { NET_ADAPTS = 1, NET_CLOUDS = 2, NET_LABELS = 4 };

/* A kind: its name, what is said of numbers that it does not read, the defaults of width, layers
 * and embed (4: 4 width, 1: width or one more), what it may have, how time comes in other than as a
 * channel, its other defaults and checks, its page. In the order of FD_FNO_ORIGINAL.. */
static const struct net_kind {
    const char *name, *unused;
    int width, layers, embed, has, time;
    void (*defaults)(fd_arch *a);
    const char *(*check)(const fd_arch *a, int *v);
    fd_network *page;
} net_kinds[] = {
#define KIND(name) #name, #name " does not use"
    { KIND(FD_FNO_ORIGINAL), 32, 4, 4, 0, FD_TIME_FILM, fno_defaults, fno_check, fourier_forward },
    { KIND(FD_FNO_BLOCK), 32, 4, 4, 0, FD_TIME_FILM, fno_defaults, fno_check, fourier_forward },
    { KIND(FD_VIT), 64, 4, 1, NET_LABELS, FD_TIME_TOKEN, vit_defaults, vit_check, vit_forward },
    { KIND(FD_UVIT), 64, 5, 1, NET_LABELS, FD_TIME_TOKEN, vit_defaults, vit_check, vit_forward },
    { KIND(FD_SIREN), 64, 4, 4, NET_ADAPTS | NET_CLOUDS, FD_TIME_NONE, coord_defaults, coord_check,
      coord_page },
    { KIND(FD_GABOR), 64, 4, 4, NET_ADAPTS | NET_CLOUDS, FD_TIME_NONE, coord_defaults, coord_check,
      coord_page },
    { KIND(FD_UNO), 16, 1, 4, 0, FD_TIME_FILM, u_defaults, u_check, u_forward },
    { KIND(FD_FNO_UNET), 16, 4, 1, 0, FD_TIME_FILM, u_defaults, u_check, u_forward },
    { KIND(FD_POINTS), 64, 4, 4, NET_CLOUDS, FD_TIME_FILM, points_defaults, points_check,
      points_forward },
    { KIND(FD_FNO_SEPARABLE), 32, 4, 1, 0, FD_TIME_TOKEN, hdm_defaults, hdm_check,
      fourier_forward },
    { KIND(FD_OWN), 1, 1, 1, NET_CLOUDS, FD_TIME_NONE, NULL, NULL, NULL }
#undef KIND
};

/* the defaults of all kinds */
static void net_defaults(fd_arch *a)
{
    const struct net_kind *k = &net_kinds[a->kind];
    net_or(&a->width, k->width);
    net_or(&a->layers, a->kind == FD_FNO_UNET && a->nd == 3 ? 2 : k->layers);
    net_or(&a->embed, k->embed == 1 ? a->width + a->width % 2 : net_wide(a->width, k->embed));
    k->defaults(a);
    net_or(&a->act, FD_GELU);
    net_or(&a->edges, FD_EDGES_SPACE);
    net_or(&a->coords, FD_COORD_NONE);
    net_or(&a->time, FD_TIME_NONE);
    if (a->tscale == 0)
        a->tscale = a->time == FD_TIME_FILM || a->time == FD_TIME_TOKEN ? 1000 : 1;
    if (!a->field.kind) return;
    if (a->inr.omega == 0) a->inr.omega = 30;
    net_or(&a->field.width, 128);
    net_or(&a->field.layers, 4);
    net_or(&a->inr.mod, FD_MOD_SCALE);
    net_or(&a->field.pool, 1);
}

/* what makes no sense together, in any kind */
static const char *net_check(const fd_arch *a, int *v)
{
    const struct net_kind *k = &net_kinds[a->kind];
    const int by_time = a->time == FD_TIME_FILM || a->time == FD_TIME_TOKEN;
    WANT(a->in, a->in || k->has & NET_ADAPTS, "in must be 1..65536, is")
    WANT(a->time, a->time == FD_TIME_NONE || a->time == FD_TIME_CHANNEL || a->time == k->time,
         "this kind of network does not take that time")
    WANT(a->embed, a->embed % 2 == 0, "embed must be even, 2..65536, is")
    WANT(a->kind, !a->labels || k->has & NET_LABELS || by_time,
         "labels want a transformer on patches or an embedding of time: kind")
    WANT(a->field.kind, !a->field.kind || a->field.kind == FD_SIREN || a->field.kind == FD_GABOR,
         "field.kind must be 0, FD_SIREN or FD_GABOR, is")
    return k->check(a, v);
}
#undef WANT

/* records the first number that is set but not read; 1 where there is none */
static int net_reads(const fd_arch *a, fd_status *st)
{
    const int is = arch_is(a), trunk = is & OF_TRUNK;
    for (int i = 0; i < 2 * ARCH_FIELDS; i++) {
        const struct field *f = &arch_fields[i / 2];
        const struct place *p = &f->place[i % 2];
        if (!p->of || p->of & is || field_value(f, p, a) == 0) continue;
        fd_fail_name(st, FD_EARG, "fd_net_new", trunk && p->of & OF_FIELD
                     ? "without field.kind no network reads" : net_kinds[a->kind].unused, p->name);
        return 0;
    }
    return 1;
}

/* Every number in its range, and read; then the defaults; then what makes no sense together. */
static int net_arch(fd_arch *a, fd_status *st)
{
    int v = 0;
    if (!field_check(st, "fd_net_new", ARCH_FIELDS, arch_fields, arch_is(a), a)
        || !net_reads(a, st)) return 0;
    net_defaults(a);
    const char *fault = net_check(a, &v);
    if (fault) FD_FAIL(st, FD_EARG, "fd_net_new", fault, v);
    return !fault;
}

/* --- Networks made and used --- */

static fd_var *net_page(const fd_net *net, fd_pass *p, fd_var *x)
{
    const fd_arch *a = &net->arch;
    if (net->page) return net->page(p, x, net->self);
    return (a->field.kind ? field_forward : net_kinds[a->kind].page)(p, x, a);
}

/* The page on a tape that makes no variables: the network is planned, or its weights are drawn */
static void net_walk(fd_net *net, const fd_space *s, fd_rng r, fd_arena scratch)
{
    const double time = 0;
    fd_tape t = { &scratch, scratch.beg, NULL, NULL, TAPE_PLAN };
    fd_var x = { .nd = 3, .n = { 1, net->arch.in, (int)s->points } };
    fd_pass p = { .t = &t, .s = s, .to = s, .b = 1, .time = &time, .net = net, .plan = net,
                  .rng = r };
    if (!net->w) net->count = 0;
    if (!net->part) net->parts = 0;
    net_page(net, &p, net->arch.in ? &x : NULL);
    if (net->part && p.next != net->parts && !scratch.st->code)
        FD_FAIL(scratch.st, FD_EARG, "fd_net_define", "the function must ask for the same weights "
                "each time: how many now, at first", p.next, net->parts);
}

/* a space to plan on: what it is does not matter */
static fd_space net_nowhere(const fd_arch *a)
{
    return (fd_space){ .nd = a->nd, .n = { 1, 1, 1 }, .points = 1, .ch = a->in };
}

/* the list of parts, without weights */
static int net_parts(fd_net *net, const fd_space *s, fd_arena *a)
{
    net_walk(net, s, fd_seed(0), *a);
    if (a->st->code) return 0;
    net->part = fd_new(a, fd_part, net->parts);
    if (net->part) net_walk(net, s, fd_seed(0), *a);
    return !a->st->code;
}

static fd_net *net_plan(fd_arena *a, const fd_arch *arch)
{
    fd_net *net = fd_new(a, fd_net, 1);
    if (!net) return NULL;
    net->arch = *arch;
    if (!net_arch(&net->arch, a->st)) return NULL;
    const fd_space s = net_nowhere(&net->arch);
    return net_parts(net, &s, a) ? net : NULL;
}

ptrdiff_t fd_net_count(const fd_arch *arch, fd_arena scratch)
{
    fd_net net = { .arch = *arch };
    if (scratch.st->code || !net_arch(&net.arch, scratch.st)) return 0;
    const fd_space s = net_nowhere(&net.arch);
    net_walk(&net, &s, fd_seed(0), scratch);
    return scratch.st->code ? 0 : net.count;
}

static int net_room(fd_arena *a, fd_net *net)
{
    net->w = fd_new(a, fd_real, net->count);
    net->g = fd_new(a, fd_real, net->count);
    return net->g != NULL;
}

fd_net *fd_net_new(fd_arena *a, const fd_arch *arch, fd_rng r)
{
    fd_net *net = net_plan(a, arch);
    if (!net || !net_room(a, net)) return NULL;
    const fd_space s = net_nowhere(&net->arch);
    net_walk(net, &s, r, *a);
    return a->st->code ? NULL : net;
}

fd_net *fd_net_with(fd_arena *a, const fd_net *net, fd_real *w)
{
    fd_net *own = net && w ? fd_raw(a, fd_net, 1) : NULL;
    if (!own) return NULL;
    *own = *net;
    own->w = w;
    return own;
}

fd_net *fd_net_over(fd_arena *a, const fd_arch *arch, const fd_real *w, ptrdiff_t count)
{
    fd_net *net = w ? net_plan(a, arch) : NULL;
    if (!net) return NULL;
    if (count != net->count)
        return tape_null(FD_FAIL(a->st, FD_ESHAPE, "fd_net_over",
                                 "another number of weights: there are, the network has",
                                 (long long)count, (long long)net->count));
    net->w = (fd_real *)(uintptr_t)w;                 /* without g nothing writes there */
    return net;
}

/* whether a network has weights of its own, which may be changed */
static int net_trains(const fd_net *net, fd_status *st, const char *where)
{
    if (net->g) return 1;
    return !FD_FAIL(st, FD_EARG, where, "the weights of fd_net_over are only read: weights",
                    (long long)net->count);
}

static int net_wants(const fd_net *net, fd_tape *t, const char *where, const fd_space *s,
                     const fd_var *x)
{
    const fd_arch *a = &net->arch;
    if (s->basis ? net_kinds[a->kind].has & NET_CLOUDS && s->at : s->nd == a->nd)
        if (x->nd == 3 && x->n[1] == a->in && x->n[2] == s->points) return 1;
    return !FD_FAIL(t->mem->st, FD_ESHAPE, where, "wants x [b][in][points] on a grid: axes of the "
                    "network, in, points", a->nd, a->in, (long long)s->points);
}

/* coordinate networks are evaluated anywhere: on a grid, or on points that have coordinates */
static int net_covers(const fd_net *net, fd_tape *t, const char *where, const fd_space *s)
{
    if (s->basis ? !!s->at : s->nd == net->arch.nd) return 1;
    return !FD_FAIL(t->mem->st, FD_ESHAPE, where, "wants a grid, or points with coordinates: axes "
                    "of the network, of the space", net->arch.nd, s->nd);
}

/* time is there where the network takes it */
static int net_timed(const fd_net *net, fd_tape *t, const char *where, const double *time)
{
    if (time || net->arch.time == FD_TIME_NONE) return 1;
    return !FD_FAIL(t->mem->st, FD_EARG, where, "this network takes times, one for each function");
}

/* x on s, the result on `to` */
static fd_var *net_forward(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x,
                           const double *time, const int *label, const fd_space *to, int frozen)
{
    if (!net || !x || t->mem->st->code) return NULL;
    const fd_arch *a = &net->arch;
    const int anywhere = a->field.kind || a->kind == FD_POINTS || a->kind == FD_OWN;
    fd_space cloud = *to;
    if (!net_wants(net, t, "fd_forward", s, x) || !net_timed(net, t, "fd_forward", time))
        return NULL;
    if (to != s && to->basis) {            /* the boundaries are those of the space asked from */
        memcpy(cloud.bc, s->bc, sizeof cloud.bc);
        to = &cloud;
    }
    if (anywhere && !net_covers(net, t, "fd_query", to)) return NULL;
    if (!anywhere && to != s)
        return tape_null(fd_fail_name(t->mem->st, FD_EARG, "fd_query",
                                      "only networks with a field, on points or "
                                      "of your own answer anywhere", net_kinds[a->kind].name));
    fd_pass p = { .t = t, .s = s, .to = to, .b = x->n[0], .time = time, .label = label, .net = net,
                  .frozen = frozen };
    return net_page(net, &p, x);
}

/* What a user's network may not do is said when it is defined: have two parts of one name; then a
 * pass on the space shows whether it takes what it asked for, and how many channels it gives. */
static void net_try(fd_net *net, const fd_space *s, fd_arena scratch)
{
    fd_arch *h = &net->arch;
    const int n[3] = { 1, h->in, (int)s->points };
    const double time = .5;
    for (int i = 0; i < net->parts; i++) {
        const fd_part *q = &net->part[i];
        for (int j = 0; j < i; j++)
            if (!strcmp(q->name, net->part[j].name))
                fd_fail_name(scratch.st, FD_EARG, "fd_net_define", "two weights have this name",
                             q->name);
        if (q->n[q->nd - 1] > h->width) h->width = q->n[q->nd - 1];
    }
    fd_tape t = fd_tape_begin(&scratch, FD_EVAL);
    fd_var *x = fd_input(&t, 3, n, fd_new(&scratch, fd_real, n[1] * s->points));
    fd_var *y = net_forward(net, &t, s, x, &time, NULL, s, 0);
    if (scratch.st->code) return;
    if (!y || y->nd != 3 || y->n[0] != 1 || y->n[2] != s->points)
        FD_FAIL(scratch.st, FD_ESHAPE, "fd_net_define",
                "the function must give [b][out][points]: axes, points; its last axis",
                y ? y->nd : 0, s->points, y ? row_last(y) : 0);
    else h->out = y->n[1];
}

fd_net *fd_net_define(fd_arena *a, fd_network *page, const void *self, const fd_space *s, fd_rng r)
{
    fd_net *net = a->st->code ? NULL : fd_new(a, fd_net, 1);
    if (!net) return NULL;
    if (!page || s->points < 1 || s->nd < 1 || s->nd > 3)
        return tape_null(FD_FAIL(a->st, FD_EARG, "fd_net_define",
                                 "wants a function and a space: axes, points", s->nd, s->points));
    net->arch = (fd_arch){ .kind = FD_OWN, .nd = s->nd, .in = s->ch, .out = 1, .width = 1,
                           .time = FD_TIME_NONE, .coords = FD_COORD_NONE };
    net->page = page;
    net->self = self;
    if (!net_parts(net, s, a)) return NULL;
    if (!net->parts)
        return tape_null(FD_FAIL(a->st, FD_EARG, "fd_net_define",
                                 "the function asks for no weights"));
    if (!net_room(a, net)) return NULL;
    net_walk(net, s, r, *a);
    net_try(net, s, *a);
    return a->st->code ? NULL : net;
}

fd_var *fd_forward(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x, const double *time)
{
    return net_forward(net, t, s, x, time, NULL, s, 0);
}

fd_var *fd_forward_label(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x,
                         const double *time, const int *label)
{
    if (net && label && !net->arch.labels)
        return tape_null(fd_fail_name(t->mem->st, FD_EARG, "fd_forward_label",
                                      "a network without labels", net_kinds[net->arch.kind].name));
    return net_forward(net, t, s, x, time, label, s, 0);
}

fd_var *fd_query(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x, const double *time,
                 const fd_space *to)
{
    return net_forward(net, t, s, x, time, NULL, to, 0);
}

fd_var *fd_encode(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x, const double *time)
{
    if (!net || !x || t->mem->st->code || !net_wants(net, t, "fd_encode", s, x)) return NULL;
    if (!net->arch.field.kind)
        return tape_null(fd_fail_name(t->mem->st, FD_EARG, "fd_encode", "a network without a field",
                                      net_kinds[net->arch.kind].name));
    if (!net_timed(net, t, "fd_encode", time)) return NULL;
    fd_pass p = { .t = t, .s = s, .to = s, .b = x->n[0], .time = time, .net = net };
    return field_encode(&p, &net->arch, x);
}

ptrdiff_t fd_inr_size(const fd_net *net)
{
    if (!net) return 0;
    const fd_arch *a = &net->arch, f = a->field.kind ? net_field_arch(a) : *a;
    return f.inr.mod ? coord_size(&f) : 0;
}

fd_var *fd_inr(const fd_net *net, fd_tape *t, const fd_space *s, int b, fd_var *x,
               const double *time, fd_var *mods)
{
    static const char where[] = "fd_inr";
    if (!net || t->mem->st->code) return NULL;
    const fd_arch *h = &net->arch, f = h->field.kind ? net_field_arch(h) : *h;
    const int seen = net_seen(&f);
    if (!(net_kinds[f.kind].has & NET_ADAPTS))
        return tape_null(fd_fail_name(t->mem->st, FD_EARG, where, "not a coordinate network",
                                      net_kinds[f.kind].name));
    if (!net_covers(net, t, where, s)) return NULL;
    if (seen ? !x || x->nd != 3 || x->n[0] != b || x->n[1] != f.in || x->n[2] != s->points : !!x)
        return TAPE_FAIL(t, where, "wants x [b][in][points], none where in is 0: b, in, points",
                         b, f.in, s->points);
    if (mods && (mods->nd != 2 || mods->n[0] != b || !f.inr.mod || mods->n[1] != coord_size(&f)))
        return TAPE_FAIL(t, where, "wants modulations [b][fd_inr_size]: b, fd_inr_size", b,
                         fd_inr_size(net));
    if (!net_timed(net, t, where, time)) return NULL;
    fd_pass p = { .t = t, .s = s, .to = s, .b = b, .time = time, .net = net };
    return coord_forward(&p, &f, s, x, mods);
}

/* Prediction, or with `ask` its vjp, a few functions at a time: fields of about 2^20 reals. */
static void net_run(const fd_net *net, int label, const fd_space *s, int b, const fd_real *x,
                    const double *time, fd_ask *ask, void *of, fd_real *y, fd_arena scratch)
{
    const fd_arch *h = &net->arch;
    ptrdiff_t size = fd_size(s), said = h->out * s->points;
    ptrdiff_t some = ((ptrdiff_t)1 << 20) / (s->points * h->width);
    if (h->inr.inner) some /= 4 * h->layers * h->inr.inner;   /* its tape is kept */
    int most = some < 1 ? 1 : some < b ? (int)some : b;
    int *labels = label < 0 ? NULL : fd_raw(&scratch, int, most);
    for (int i = 0; i < most && labels; i++) labels[i] = label;
    for (int i = 0, m; i < b && !scratch.st->code; i += m) {
        m = b - i < most ? b - i : most;
        int n[3] = { m, s->ch, (int)s->points };
        fd_arena mem = scratch;
        const int again = h->inr.inner && !h->inr.first;      /* the loop's own gradients count */
        fd_tape t = fd_tape_begin(&mem, !ask ? FD_EVAL : again ? FD_GRAD2 : FD_GRAD);
        fd_real *xi = (fd_real *)(uintptr_t)(x + i * size);              /* read only */
        fd_var *in = ask ? fd_param(&t, 3, n, xi, NULL) : fd_input(&t, 3, n, xi);
        fd_var *out = net_forward(net, &t, s, in, time + i, labels, s, 1), *dx = NULL;
        if (ask && out) {
            fd_real *dy = fd_raw(&mem, fd_real, m * said);
            if (dy) ask(of, i, m, out->x, dy, mem);
            n[1] = h->out;
            fd_grad(&t, out, fd_input(&t, 3, n, dy), 1, &in, &dx);
            out = dx;
        }
        if (out) memcpy(y + i * said, out->x, (size_t)(m * said) * sizeof *y);
    }
}

/* a network, what it is told, -1: nothing, and whether it may say other channels than it gets */
typedef struct { const fd_net *net; int label, raw; } net_spoken;

static void net_pull(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_ask *ask, void *of, fd_real *dx, fd_arena scratch)
{
    const net_spoken *o = self;
    const fd_arch *a = &o->net->arch;
    if (scratch.st->code) return;
    if (a->in != s->ch || (a->out != s->ch && !o->raw))
        FD_FAIL(scratch.st, FD_ESHAPE, o->raw ? "fd_net_raw" : "fd_net_model",
                "channels differ: of the space, in, out", s->ch, a->in, a->out);
    else net_run(o->net, o->label, s, b, x, t, ask, of, dx, scratch);
}

static void net_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *y, fd_arena scratch)
{
    net_pull(self, s, b, x, t, NULL, NULL, y, scratch);
}

/* dy that was known before */
typedef struct { const fd_real *dy; ptrdiff_t size; } net_told;
static void net_tell(void *of, int first, int b, const fd_real *y, fd_real *dy, fd_arena scratch)
{
    const net_told *told = of;
    (void)y, (void)scratch;
    memcpy(dy, told->dy + first * told->size, (size_t)(b * told->size) * sizeof *dy);
}

static void net_vjp(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                    const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    net_pull(self, s, b, x, t, net_tell, &(net_told){ dy, fd_size(s) }, dx, scratch);
}

fd_model fd_net_labelled(fd_arena *a, const fd_net *net, int predicts, int label)
{
    net_spoken *o = net ? fd_raw(a, net_spoken, 1) : NULL;
    if (!o) return (fd_model){ 0 };
    if (label < -1 || label >= net->arch.labels) {
        FD_FAIL(a->st, FD_EARG, "fd_net_labelled",
                "wants a label from -1, none, to labels - 1: label, labels", label,
                net->arch.labels);
        return (fd_model){ 0 };
    }
    *o = (net_spoken){ net, label, 0 };
    return (fd_model){ predicts, net_eval, net_vjp, NULL, o, net_pull };
}

fd_model fd_net_model(fd_arena *a, const fd_net *net, int predicts)
{
    return fd_net_labelled(a, net, predicts, -1);
}

fd_model fd_net_raw(fd_arena *a, const fd_net *net)
{
    net_spoken *o = net ? fd_raw(a, net_spoken, 1) : NULL;
    if (!o) return (fd_model){ 0 };
    *o = (net_spoken){ net, -1, 1 };
    return (fd_model){ FD_X0, net_eval, NULL, NULL, o, NULL };
}

/* ==== Room III: kernels ====
 *
 * Each kernel has three parts: its contract; the plain loop, which says the same in the fewest
 * lines; the fast one, which moves less memory or fills vectors. FD_PLAIN leaves the fast ones out.
 * Where the plain loop is fast enough it is alone.
 *
 * ---- Element functions --------------------------------------------------------------------------
 *
 * f(x) and f'(x), to 2 ulp (the normal distribution function: 5), with subnormal results,
 * infinities and NaN as in libm. The plain form calls libm in double and rounds; so do double
 * builds and FD_STRICT. The fast form is polynomials on vectors of float, minimax in relative
 * error.
 *
 * Long polynomials are summed in pairs, (c0 + c1 r) + r^2 (c2 + c3 r) + .., because a processor
 * looks ahead over one or two vectors only, so that the length of a chain counts as much as its
 * work. */

#if defined(FD_DOUBLE) || defined(FD_STRICT) || defined(FD_PLAIN)
#define MAP_LIBM

typedef double map_v, map_k;
enum { MAP_W = 1 };
#define K(c)              (c)
#define map_load(p)       ((double)*(p))
#define map_store(p, v)   (*(p) = (fd_real)(v))
#define map_lt(a, b)      ((a) < (b))
#define map_sel(m, a, b)  ((m) ? (a) : (b))
#define map_exp           exp
#define map_log           log
#define map_sqrt          sqrt
#define map_sin           sin
#define map_cos           cos
#define map_tanh          tanh
#define map_abs           fabs
#define map_fill(c)       ((double)(c))
#define map_min(x, c)     ((c) < (x) ? (c) : (x))
#define map_max(x, c)     ((x) < (c) ? (c) : (x))
#define map_relu(x)       map_max(x, 0)

static inline double map_pdf(double x) { return 0.3989422804014327 * exp(-x * x / 2); }
static inline double map_cdf(double x) { return 0.5 * erfc(-0.7071067811865476 * x); }
static inline double map_gelu(double x) { return (x < -1000 ? -1000 : x) * map_cdf(x); }
static inline double map_gelu_slope(double x)
{
    return map_cdf(x) + (x < -1000 ? -1000 : x > 1000 ? 1000 : x) * map_pdf(x);
}

#else

typedef fd_vec map_v;
typedef fd_real map_k;
enum { MAP_W = FD_W };
#if FD_BYTES
typedef uint32_t map_i __attribute__((vector_size(FD_BYTES)));
#else
typedef uint32_t map_i;
#endif
#define map_lt(a, b)      vmask((a) < (b))
#define map_sel           vselect
#define K(c)              ((map_k)(c))
#define map_load(p)       vload(p)
#define map_store(p, v)   vstore(p, v)

FD_INLINE map_i map_bits(map_v x) { map_i i; memcpy(&i, &x, sizeof i); return i; }
FD_INLINE map_v map_real(map_i i) { map_v x; memcpy(&x, &i, sizeof x); return x; }
FD_INLINE map_v map_fill(fd_real c)
{
    map_v x;
    memset(&x, 0, sizeof x);
    return x + c;
}
FD_INLINE map_v map_abs(map_v x) { return map_real(map_bits(x) & 0x7fffffffu); }
FD_INLINE map_v map_sign(map_v y, map_v x)                       /* |y| with the sign of x */
{
    return map_real((map_bits(y) & 0x7fffffffu) | (map_bits(x) & 0x80000000u));
}
FD_INLINE map_v map_min(map_v x, fd_real c)
{
    return map_sel(map_lt(map_fill(c), x), map_fill(c), x);
}
FD_INLINE map_v map_max(map_v x, fd_real c)
{
    return map_sel(map_lt(x, map_fill(c)), map_fill(c), x);
}
#define map_relu(x)       map_max(x, 0)
/* The nearest integer n to x, |x| < 2^22, is left in the last bits of s = x + (MAP_ROUND + b), as
 * n + b, and comes back as s - (MAP_ROUND + b). With b = 127, 2^n has the bits of s shifted left by
 * 23. */
#define MAP_ROUND 12582912                                       /* 1.5 2^23: the ulp is 1 */
FD_INLINE map_v map_power(map_i s) { return map_real(s << 23); }
/* r = x - n log 2, |r| <= log 2 / 2. The first part of log 2 has 11 bits: n times it is exact. */
FD_INLINE map_v map_exp_arg(map_v x, map_v n)
{
    return (x - n * K(0.6923828125)) - n * K(7.64368043e-4);
}
FD_INLINE map_v map_expm1_poly(map_v r)                       /* to 3.3e-9 for |r| <= 0.35 */
{
    map_v z = r * r, q = (K(0.041668456) + r * K(0.00836941879)) + z * K(0.00138131483);
    return r + z * ((K(0.49999994) + r * K(0.166665152)) + z * q);
}
/* exp(r) 2^n, where 2^n is applied in two steps, 2^h 2^(n-h), so that subnormal results are rounded
 * once and the largest ones do not overflow. */
FD_INLINE map_v map_exp(map_v x)
{
    x = map_min(map_max(x, -104), 89);                            /* beyond: 0, infinity */
    map_v h = x * K(0.721347520444481703) + K(MAP_ROUND + 127);
    map_v n = x * K(1.44269504088896341) + K(MAP_ROUND + 254);
    map_v r = map_exp_arg(x, n - K(MAP_ROUND + 254));
    map_v half = (K(1) + map_expm1_poly(r)) * map_power(map_bits(h));
    return half * map_power(map_bits(n) - map_bits(h));
}
/* x = 2^e (1 + f), 1/sqrt2 <= 1 + f < sqrt2; log(1 + f) = f - f^2/2 + f^3 P(f), to 5.9e-9 */
FD_INLINE map_v map_log(map_v x)
{
    fd_lanes tiny = map_lt(x, map_fill((fd_real)1.17549435e-38));
    map_v s = map_sel(tiny, x * K(8388608), x);
    map_i k = map_bits(s) - 0x3f3504f3u, e = (k + (200u << 23)) >> 23;
    map_v f = map_real((k & 0x007fffffu) + 0x3f3504f3u) - K(1);
    map_v bias = map_sel(tiny, map_fill(MAP_ROUND + 223), map_fill(MAP_ROUND + 200));
    map_v n = map_real(e + 0x4b400000u) - bias, z = f * f;
    map_v q = (K(0.141811937) + f * K(-0.13128747)) + z * (K(0.128816321) + f * K(-0.0785960928));
    q = (K(0.200022861) + f * K(-0.16624555)) + z * q;
    q = (K(0.333333164) + f * K(-0.250008106)) + z * q;
    map_v small = n * K(7.64368043e-4) + (f * z * q - K(0.5) * z);
    map_v y = n * K(0.6923828125) + (f + small);
    y = map_sel(map_lt(x, map_fill((fd_real)INFINITY)), y, x);
    y = map_sel(map_lt(x, map_fill(0)), map_fill((fd_real)NAN), y);
    return map_sel(map_lt(map_fill(0), map_abs(x)) | ~map_lt(x, map_fill(1)), y,
                   map_fill(-(fd_real)INFINITY));
}
FD_INLINE map_v map_sqrt(map_v x)
{
    fd_real v[MAP_W];
    memcpy(v, &x, sizeof x);
    for (int i = 0; i < MAP_W; i++) v[i] = sqrtf(v[i]);
    memcpy(&x, v, sizeof x);
    return x;
}
/* sin(x + turn pi/2). x = n pi/2 + r, where pi/2 is the sum of four parts, three of them of 11
 * bits, so that n times them is exact for n < 2^13, |x| < 12867. map_far corrects what lies
 * beyond. */
enum { MAP_FAR = 12000 };
FD_INLINE map_v map_sincos(map_v x, unsigned turn)
{
    map_i neg = turn ? map_bits(x) ^ map_bits(x) : map_bits(x) & 0x80000000u;
    map_v a = map_abs(x), k = a * K(0.636619772) + K(MAP_ROUND), f = k - K(MAP_ROUND);
    map_i n = map_bits(k) + turn;
    map_v r = (a - f * K(1.5703125)) - f * K(0.00048375129699707031);
    r = (r - f * K(7.5495336204767227e-8)) - f * K(2.56334407e-12);
    map_v z = r * r;
    map_v s = r + r * z * (K(-0.166666538) + z * (K(0.00833205134) + z * K(-0.000194972381)));
    map_v c = K(0.041666653) + z * (K(-0.0013887604) + z * K(2.44570947e-5));
    c = K(1) - (K(0.5) * z - z * z * c);
    return map_real(map_bits(map_sel(vmask((n & 1u) == 0), s, c)) ^ ((n & 2u) << 30) ^ neg);
}
FD_INLINE map_v map_sin(map_v x) { return map_sincos(x, 0); }
FD_INLINE map_v map_cos(map_v x) { return map_sincos(x, 1); }
/* tanh |x| = e/(e + 2) with e = exp(2 |x|) - 1 = 2^n (exp r - 1) + (2^n - 1) */
FD_INLINE map_v map_tanh(map_v x)
{
    map_v a = map_min(map_abs(x), 10), n = a * K(2.88539008177792681) + K(MAP_ROUND + 127);
    map_v s = map_power(map_bits(n));
    map_v e = map_expm1_poly(map_exp_arg(a + a, n - K(MAP_ROUND + 127)));
    e = s * e + (s - K(1));
    return map_sign(e / (e + K(2)), x);
}
/* The normal density p and distribution function P: with a = |x| up to 16,
 *
 *     q = P(-a) = exp(-a^2/2) t R(u - 0.4),   t = 1/(1 + 0.3 a),   u = 1 - t = 0.3 a t
 *
 * (3.5e-9 for a <= 15), so that the lower tail keeps its relative accuracy, which the formula
 * (1 + erf(x/sqrt2))/2 loses. A polynomial in t itself magnifies the error of t near a = 0.
 * a^2 = h^2 + (a - h)(a + h), where h has 12 bits and h^2 is exact. The exponential is kept times
 * 2^64, a normal number for every a, and the factor 2^-64 lies in the coefficients. Returns
 * p(x). */
FD_INLINE map_v map_normal(map_v x, map_v *a, map_v *q)
{
#define T(c) K((c) * 0x1p-64)
    map_v y = map_min(map_abs(x), 16), h = map_real(map_bits(y) & 0xfffff000u), s = h * h;
    map_v n = s * K(-0.721347520444481703) + K(MAP_ROUND + 127 + 64);
    map_v r = map_exp_arg(K(-0.5) * s, n - K(MAP_ROUND + 127 + 64)) - K(0.5) * ((y - h) * (y + h));
    map_v e = (K(1) + map_expm1_poly(r)) * map_power(map_bits(n));
    map_v t = K(1) / (K(1) + K(0.3) * y), u = K(0.3) * y * t - K(0.4), z = u * u;
    map_v lo = (T(0.258572668) + u * T(-0.405136734)) + z * (T(0.413744837) + u * T(-0.225355893));
    map_v h0 = T(-0.0138198622) + u * T(0.0910459608);
    map_v hi = h0 + z * (T(-0.00755413575) + u * T(-0.0441987477));
    z *= z;
    *a = y;
    *q = e * (t * (lo + z * (hi + z * (T(0.00107003411) + u * T(0.0206286069)))));
    return e * T(0.398942280401432678);
#undef T
}
FD_INLINE map_v map_pdf(map_v x) { map_v a, q; return map_normal(x, &a, &q); }
FD_INLINE map_v map_cdf(map_v x)
{
    map_v a, q;
    map_normal(x, &a, &q);
    return map_sel(map_lt(x, map_fill(0)), q, K(1) - q);
}
/* x P = max(x, 0) - a q, and P + x p = g + (1 for x > 0), g = +-(a p - q). There is no inf * 0, as
 * a <= 16. */
FD_INLINE map_v map_gelu(map_v x)
{
    map_v a, q;
    map_normal(x, &a, &q);
    return map_sign(map_relu(x) - a * q, x);
}
FD_INLINE map_v map_gelu_slope(map_v x)
{
    map_v a, q, p = map_normal(x, &a, &q), g = a * p - q;
    return map_sel(map_lt(x, map_fill(0)), -g, K(1) + g);
}

#endif

/* -1000 and 1000 stand for all numbers beyond them, where x f(x) -> 0 would become inf * 0. */
FD_INLINE map_v map_floor(map_v x) { return map_max(x, -1000); }
FD_INLINE map_v map_clip(map_v x) { return map_floor(map_min(x, 1000)); }
FD_INLINE map_v map_step(map_v x)
{
    return map_sel(map_lt(map_fill(0), x), map_fill(1), map_fill(0));
}
/* s = 1/(1 + exp(-x)) and ds/dx, computed from exp(-|x|), which cannot overflow. */
FD_INLINE map_v map_logistic(map_v x, map_v *ds)
{
    map_v e = map_exp(-map_abs(x)), r = K(1) / (K(1) + e);
    *ds = e * r * r;
    return map_sel(map_lt(x, map_fill(0)), e, map_fill(1)) * r;
}
FD_INLINE map_v map_sigmoid(map_v x) { map_v ds; return map_logistic(x, &ds); }
FD_INLINE map_v map_silu_slope(map_v x)
{
    map_v ds, s = map_logistic(x, &ds);
    return s + map_clip(x) * ds;
}
/* GELU by tanh: x (1 + tanh u)/2 = x sigmoid(v), where v = 2 u = x (C1 + C3 x^2). */
FD_INLINE map_v map_cubic(map_v x) { return x * (K(MAP_C1) + K(MAP_C3) * x * x); }
FD_INLINE map_v map_gelu_tanh(map_v x) { return map_floor(x) * map_sigmoid(map_cubic(x)); }
FD_INLINE map_v map_gelu_tanh_slope(map_v x)
{
    map_v ds, s = map_logistic(map_cubic(x), &ds);
    x = map_clip(x);
    return s + x * ds * (K(MAP_C1) + K(3 * MAP_C3) * x * x);
}

/*      name           y = f(x)                      f'(x) from x and y */
#define MAP_TABLE                                                              \
    X(FD_EXP,          map_exp(x),                   y)                        \
    X(FD_LOG,          map_log(x),                   K(1) / x)                 \
    X(FD_RECIP,        K(1) / x,                     -(y * y))                 \
    X(FD_SQRT,         map_sqrt(x),                  K(0.5) / y)               \
    X(FD_SQUARE,       x * x,                        x + x)                    \
    X(FD_SIN,          map_sin(x),                   map_cos(x))               \
    X(FD_COS,          map_cos(x),                   -map_sin(x))              \
    X(FD_TANH,         map_tanh(x),                  K(1) - y * y)             \
    X(FD_SIGMOID,      map_sigmoid(x),               y - y * y)                \
    X(FD_SILU,         map_floor(x) * map_sigmoid(x), map_silu_slope(x))       \
    X(FD_GELU,         map_gelu(x),                  map_gelu_slope(x))        \
    X(FD_GELU_TANH,    map_gelu_tanh(x),             map_gelu_tanh_slope(x))   \
    X(FD_RELU,         map_relu(x),                  map_step(x))              \
    X(FD_IDENTITY,     x,                            map_fill(1))              \
    X(MAP_CDF,         map_cdf(x),                   map_pdf(x))               \
    X(MAP_PDF,         map_pdf(x),                   -(x * y))                 \
    X(MAP_STEP,        map_step(x),                  map_fill(0))

/* A block of n numbers. Without v: z = f(x), or where dy is given z = dy f'(x), with y = f(x).
 * With v: v = f(x) and z = dy f'(x), where dy may be NULL for 1. */
#ifdef FD_PLAIN
static void map_any(int f, ptrdiff_t n, const fd_real *xs, const fd_real *ys, const fd_real *dy,
                    fd_real *z, fd_real *v)
{
    (void)ys;
    for (ptrdiff_t i = 0; i < n; i++) {
        double x = (double)xs[i], y = 0, slope = 0, by = dy ? (double)dy[i] : 1;
        switch (f) {
#define X(name, F, D) case name: y = F; if (dy || v) slope = D; break;
        MAP_TABLE
#undef X
        default: break;
        }
        if (v) v[i] = (fd_real)y;
        z[i] = (fd_real)(dy || v ? by * slope : y);
    }
}
#else
/* The same where n is a multiple of MAP_W. It evaluates f'(x) only where it is wanted, and f(x)
 * only where it is not given. */
static void map_lanes(int f, ptrdiff_t n, const fd_real *restrict xs, const fd_real *restrict ys,
                      const fd_real *restrict ds, fd_real *restrict zs, fd_real *restrict vs)
{
#define MAP_LOOP(...) \
    for (ptrdiff_t i = 0; i < n; i += MAP_W) { map_v x = map_load(xs + i), y; __VA_ARGS__ }
    switch (f) {
#define X(name, F, D) case name: \
        if (!ds && !vs) MAP_LOOP(y = F; map_store(zs + i, y);) \
        else if (!ds) MAP_LOOP(y = F; map_store(vs + i, y); map_store(zs + i, D);) \
        else if (ys) MAP_LOOP(y = map_load(ys + i); (void)x, (void)y; \
                              map_store(zs + i, map_load(ds + i) * (D));) \
        else MAP_LOOP(y = F; map_store(vs + i, y); map_store(zs + i, map_load(ds + i) * (D));) \
        break;
    MAP_TABLE
#undef X
    default: break;
    }
#undef MAP_LOOP
}

#ifndef MAP_LIBM
/* sin (f = FD_SIN) and cos of arguments that map_sincos cannot reduce, of which there are seldom
 * any. */
static void map_far(int f, double sign, ptrdiff_t n, const fd_real *x, const fd_real *dy,
                    fd_real *z)
{
    int far = 0;
    for (ptrdiff_t i = 0; i < n; i++) far |= !(fabsf(x[i]) <= MAP_FAR);
    for (ptrdiff_t i = 0; far && i < n; i++) {
        if (fabsf(x[i]) <= MAP_FAR) continue;
        double y = f == FD_SIN ? sin((double)x[i]) : cos((double)x[i]);
        z[i] = (fd_real)(sign * y) * (dy ? dy[i] : 1);
    }
}
#endif

/* The last few elements go through the same loop by way of a padded vector, so that their bits do
 * not depend on where the block ends. */
static void map_any(int f, ptrdiff_t n, const fd_real *x, const fd_real *y, const fd_real *dy,
                    fd_real *z, fd_real *v)
{
    ptrdiff_t m = n - n % MAP_W;
    map_lanes(f, m, x, y, dy, z, v);
    if (m < n) {
        fd_real end[5][MAP_W];
        size_t size = (size_t)(n - m) * sizeof *x;
        memset(end, 0, sizeof end);
        memcpy(end[0], x + m, size);
        if (y) memcpy(end[1], y + m, size);
        if (dy) memcpy(end[2], dy + m, size);
        map_lanes(f, MAP_W, end[0], y ? end[1] : NULL, dy ? end[2] : NULL, end[3],
                  v ? end[4] : NULL);
        memcpy(z + m, end[3], size);
        if (v) memcpy(v + m, end[4], size);
    }
#ifndef MAP_LIBM
    if (f == FD_SIN || f == FD_COS) {
        if (dy || v) map_far(f == FD_SIN ? FD_COS : FD_SIN, f == FD_SIN ? 1 : -1, n, x, dy, z);
        if (v || !dy) map_far(f, 1, n, x, NULL, v ? v : z);
    }
#endif
}
#endif

static void map_block(int f, ptrdiff_t n, const fd_real *x, const fd_real *y, const fd_real *dy,
                      fd_real *z)
{
    map_any(f, n, x, dy ? y : NULL, dy, z, NULL);
}

#ifndef FD_PLAIN
/* y = f(x) and z = dy f'(x), where dy may be NULL for 1, in one evaluation. */
static void map_both(int f, ptrdiff_t n, const fd_real *x, const fd_real *dy, fd_real *y,
                     fd_real *z)
{
    map_any(f, n, x, NULL, dy, z, y);
}
#endif

static void map_run(int f, ptrdiff_t n, const fd_real *x, const fd_real *y, const fd_real *dy,
                    fd_real *z)
{
    FD_PARALLEL_IF(n > TAPE_BLOCK)
    for (ptrdiff_t b = 0; b < (n + TAPE_BLOCK - 1) / TAPE_BLOCK; b++) {
        ptrdiff_t i = b * TAPE_BLOCK, m = n - i < TAPE_BLOCK ? n - i : TAPE_BLOCK;
        map_block(f, m, x + i, y ? y + i : NULL, dy ? dy + i : NULL, z + i);
    }
}
#undef K

/* ---- Strided walks and sums ---------------------------------------------------------------------
 *
 * z[i] = x[i] o y[i] over the entries of a shape, where x and y have a stride for each axis, 0 for
 * those along which they are stretched. Axes that can be walked as one are merged first, so that
 * equal shapes become one long axis, and [b][p][c] + [c] rows of c. Sums are the reverse: an axis
 * is kept or added up, neighbours of a kind are merged, nearly all are [A][R][B] -> [A][B]. */

/* Append an inner axis of n entries with strides sx, sy. */
static void walk_axis(op_walk *w, ptrdiff_t n, ptrdiff_t sx, ptrdiff_t sy)
{
    int k = w->nd - 1;
    w->count *= n;
    if (n == 1) return;
    if (k >= 0 && w->sx[k] == n * sx && w->sy[k] == n * sy) {
        w->n[k] *= n;
    } else {
        k = w->nd++;
        w->n[k] = n;
    }
    w->sx[k] = sx;
    w->sy[k] = sy;
}

/* the strides of x in a walk over n[nd], axes aligned at the last one */
static void walk_strides(const fd_var *x, int nd, ptrdiff_t s[])
{
    ptrdiff_t p = 1;
    for (int i = nd - 1, k = x->nd - 1; i >= 0; i--, k--) {
        s[i] = k < 0 || x->n[k] == 1 ? 0 : p;
        if (k >= 0) p *= x->n[k];
    }
}

/* a walk over n[nd] with the strides of x and y, of one axis at least */
static op_walk walk_over(int nd, const int n[], const fd_var *x, const fd_var *y)
{
    op_walk w = { .count = 1 };
    ptrdiff_t sx[FD_MAXD], sy[FD_MAXD];
    walk_strides(x, nd, sx);
    walk_strides(y, nd, sy);
    for (int i = 0; i < nd; i++) walk_axis(&w, n[i], sx[i], sy[i]);
    if (!w.nd) w = (op_walk){ .nd = 1, .n = { 1 }, .sx = { 1 }, .sy = { 1 }, .count = 1 };
    return w;
}

/* The entries of z one after the other: z = x + y, x - y, x y, or x. */
#ifdef FD_PLAIN
static void walk_run(int kind, const op_walk *w, const fd_real *x, const fd_real *y, fd_real *z)
{
    for (ptrdiff_t i = 0; i < w->count; i++) {
        const fd_real *p = x, *q = y;
        ptrdiff_t rest = i;
        for (int k = w->nd - 1; k >= 0; rest /= w->n[k--]) {
            p += rest % w->n[k] * w->sx[k];
            q += rest % w->n[k] * w->sy[k];
        }
        z[i] = kind == WALK_ADD ? *p + *q : kind == WALK_MINUS ? *p - *q
             : kind == WALK_MUL ? *p * *q : *p;
    }
}
#else
/* One row; sx and sy are 0 or 1, but any sx will do for WALK_COPY. */
static void walk_row(int kind, ptrdiff_t n, const fd_real *restrict x, ptrdiff_t sx,
                     const fd_real *restrict y, ptrdiff_t sy, fd_real *restrict z)
{
    fd_real x0 = *x, y0 = *y;
#define ROW(o) \
    if (sx && sy) for (ptrdiff_t i = 0; i < n; i++) z[i] = x[i] o y[i]; \
    else if (sx) for (ptrdiff_t i = 0; i < n; i++) z[i] = x[i] o y0; \
    else for (ptrdiff_t i = 0; i < n; i++) z[i] = x0 o y[i * sy]; \
    break
    switch (kind) {
    case WALK_ADD: ROW(+);
    case WALK_MINUS: ROW(-);
    case WALK_MUL: ROW(*);
    default:
        if (sx == 1) memcpy(z, x, (size_t)n * sizeof *z);
        else for (ptrdiff_t i = 0; i < n; i++) z[i] = x[i * sx];
    }
#undef ROW
}

/* the entries i0 <= i < i1 of z, a row at a time */
static void walk_block(int kind, const op_walk *w, ptrdiff_t i0, ptrdiff_t i1, const fd_real *x,
                       const fd_real *y, fd_real *z)
{
    ptrdiff_t at[FD_MAXD], rest = i0;
    int last = w->nd - 1;
    for (int k = last; k >= 0; k--) {
        at[k] = rest % w->n[k];
        rest /= w->n[k];
        x += at[k] * w->sx[k];
        y += at[k] * w->sy[k];
    }
    while (i0 < i1) {
        ptrdiff_t m = w->n[last] - at[last];
        if (m > i1 - i0) m = i1 - i0;
        walk_row(kind, m, x, w->sx[last], y, w->sy[last], z + i0);
        i0 += m;
        x -= at[last] * w->sx[last];                             /* to the start of the next row */
        y -= at[last] * w->sy[last];
        at[last] = 0;
        for (int k = last - 1; k >= 0; k--) {
            x += w->sx[k];
            y += w->sy[k];
            if (++at[k] < w->n[k]) break;
            x -= w->n[k] * w->sx[k];
            y -= w->n[k] * w->sy[k];
            at[k] = 0;
        }
    }
}

static void walk_run(int kind, const op_walk *w, const fd_real *x, const fd_real *y, fd_real *z)
{
    FD_PARALLEL_IF(w->count > TAPE_BLOCK)
    for (ptrdiff_t b = 0; b < (w->count + TAPE_BLOCK - 1) / TAPE_BLOCK; b++) {
        ptrdiff_t i = b * TAPE_BLOCK;
        walk_block(kind, w, i, w->count - i < TAPE_BLOCK ? w->count : i + TAPE_BLOCK, x, y, z);
    }
}
#endif

/* A copy of x in another order of axes. */
#ifdef FD_PLAIN
static void walk_permute(const op_walk *w, const fd_real *x, fd_real *z)
{
    walk_run(WALK_COPY, w, x, x, z);
}
#else
/* The copy where x is not contiguous along z's last axis, by tiles of 32 x 32 in the plane of this
 * axis and the axis p along which x is contiguous. */
static void walk_transpose(const op_walk *w, const fd_real *x, fd_real *z)
{
    enum { TILE = 32 };
    int last = w->nd - 1, p = 0;
    ptrdiff_t sz[FD_MAXD];
    sz[last] = 1;
    for (int k = last - 1; k >= 0; k--) sz[k] = sz[k + 1] * w->n[k + 1];
    for (int k = 0; k < last; k++) if (w->sx[k] == 1) p = k;
    ptrdiff_t np = w->n[p], nq = w->n[last], tiles = (np + TILE - 1) / TILE;
    ptrdiff_t jobs = w->count / (np * nq) * tiles, spx = w->sx[p], sqx = w->sx[last], spz = sz[p];
    FD_PARALLEL_IF(w->count > TAPE_BLOCK)
    for (ptrdiff_t j = 0; j < jobs; j++) {
        ptrdiff_t rest = j / tiles, p0 = j % tiles * TILE, p1 = np - p0 < TILE ? np : p0 + TILE;
        const fd_real *xj = x;
        fd_real *zj = z;
        for (int k = last - 1; k >= 0; k--) {
            if (k == p) continue;
            xj += rest % w->n[k] * w->sx[k];
            zj += rest % w->n[k] * sz[k];
            rest /= w->n[k];
        }
        for (ptrdiff_t q0 = 0; q0 < nq; q0 += TILE) {
            ptrdiff_t q1 = nq - q0 < TILE ? nq : q0 + TILE;
            for (ptrdiff_t i = p0; i < p1; i++)
                for (ptrdiff_t q = q0; q < q1; q++) zj[i * spz + q] = xj[i * spx + q * sqx];
        }
    }
}

static void walk_permute(const op_walk *w, const fd_real *x, fd_real *z)
{
    if (w->nd < 2) memcpy(z, x, (size_t)w->count * sizeof *z);
    else if (w->sx[w->nd - 1] == 1) walk_run(WALK_COPY, w, x, x, z);
    else walk_transpose(w, x, z);
}
#endif

/* --- Sums over one axis: y[a][j] = sum over r < R of x[a][r][j], a < A and j < B --- */

#ifdef FD_PLAIN
/* The sum of n numbers that lie `step` apart, by halves, so that rounding hardly grows with n. */
static double sum_some(ptrdiff_t n, const fd_real *x, ptrdiff_t step)
{
    double sum = 0;
    ptrdiff_t half = n / 2;
    if (n > 16) return sum_some(half, x, step) + sum_some(n - half, x + half * step, step);
    for (ptrdiff_t r = 0; r < n; r++) sum += (double)x[r * step];
    return sum;
}

static void sum_axis(ptrdiff_t A, ptrdiff_t R, ptrdiff_t B, const fd_real *x, fd_real *y,
                     fd_arena scratch)
{
    (void)scratch;
    for (ptrdiff_t i = 0; i < A * B; i++)
        y[i] = (fd_real)sum_some(R, x + i / B * R * B + i % B, B);
}
#else
enum { SUM_COLS = 64, SUM_ROWS = 128, SUM_LANES = 16, SUM_PART = 65536 };

/* acc[j] += sum_r x[r*stride + j], j < cols <= SUM_COLS: SUM_ROWS rows at a time in fd_real, and
 * what these give in double */
static void sum_rows(ptrdiff_t rows, int cols, const fd_real *x, ptrdiff_t stride, double *acc)
{
    for (ptrdiff_t r0 = 0; r0 < rows; r0 += SUM_ROWS) {
        fd_real part[SUM_COLS] = { 0 };
        ptrdiff_t r1 = rows - r0 < SUM_ROWS ? rows : r0 + SUM_ROWS;
        for (ptrdiff_t r = r0; r < r1; r++)
            for (int j = 0; j < cols; j++) part[j] += x[r * stride + j];
        for (int j = 0; j < cols; j++) acc[j] += (double)part[j];
    }
}

/* A long sum is cut into parts of `len` terms, a number that depends on B only; a row alone (B = 1)
 * is added in SUM_LANES running sums. A job is one part of up to SUM_COLS sums. */
typedef struct { ptrdiff_t R, B, len, parts, tiles; } op_sum;

static void sum_job(const op_sum *s, ptrdiff_t job, const fd_real *x, double *p, fd_real *y)
{
    ptrdiff_t j0 = job % s->tiles * SUM_COLS, k = job / s->tiles % s->parts;
    ptrdiff_t a = job / (s->tiles * s->parts), rest = s->R - k * s->len;
    ptrdiff_t m = rest < s->len ? rest : s->len;
    int cols = s->B - j0 < SUM_COLS ? (int)(s->B - j0) : SUM_COLS;
    double acc[SUM_COLS] = { 0 };
    x += (a * s->R + k * s->len) * s->B + j0;
    if (s->B > 1) {
        sum_rows(m, cols, x, s->B, acc);
    } else {
        sum_rows(m / SUM_LANES, SUM_LANES, x, SUM_LANES, acc);
        sum_rows(1, (int)(m % SUM_LANES), x + m - m % SUM_LANES, SUM_LANES, acc);
        for (int l = 1; l < SUM_LANES; l++) acc[0] += acc[l];
    }
    for (int l = 0; l < cols; l++)
        if (p) p[(a * s->parts + k) * s->B + j0 + l] = acc[l];
        else y[a * s->B + j0 + l] = (fd_real)acc[l];
}

static void sum_axis(ptrdiff_t A, ptrdiff_t R, ptrdiff_t B, const fd_real *x, fd_real *y,
                     fd_arena scratch)
{
    ptrdiff_t len = B < SUM_LANES ? SUM_PART : SUM_PART / B;
    op_sum s = { R, B, len > SUM_ROWS ? len : SUM_ROWS, 0, (B + SUM_COLS - 1) / SUM_COLS };
    s.parts = (R + s.len - 1) / s.len;
    double *p = s.parts > 1 ? fd_raw(&scratch, double, A * s.parts * B) : NULL;
    if (scratch.st->code) return;
    FD_PARALLEL_IF(A * R * B > TAPE_BLOCK)
    for (ptrdiff_t j = 0; j < A * s.parts * s.tiles; j++) sum_job(&s, j, x, p, y);
    for (ptrdiff_t i = 0; p && i < A * B; i++) {
        double sum = 0;
        for (ptrdiff_t k = 0; k < s.parts; k++) sum += p[(i / B * s.parts + k) * B + i % B];
        y[i] = (fd_real)sum;
    }
}
#endif

/* ---- Arenas for threads -------------------------------------------------------------------------
 *
 * job_fork cuts what scratch has left into equal shares, one for each thread, each with a status of
 * its own; job_join hands the first failure on, and how much was used. */

typedef struct { fd_arena mem; fd_status st; } job_mem;

static job_mem *job_fork(fd_arena *scratch)
{
    int threads = threads_most();
    job_mem *j = fd_new(scratch, job_mem, threads);
    fd_take(scratch, 0, 1);                              /* shares begin at multiples of 64 */
    size_t share = (size_t)(scratch->end - scratch->beg) / (size_t)threads / 64 * 64;
    for (int i = 0; i < threads && j; i++) {
        j[i].mem.beg = scratch->beg + (size_t)i * share;
        j[i].mem.end = j[i].mem.beg + share;
        j[i].mem.st = &j[i].st;
        j[i].st.size = j[i].st.low = share;
    }
    return j;
}

static void job_join(const job_mem *j, fd_arena *scratch)
{
    size_t used = 0, threads = (size_t)threads_most();
    for (size_t i = 0; i < threads; i++) {
        const fd_status *o = &j[i].st;
        fd_fail_as(scratch->st, o);
        if (o->size - o->low > used) used = o->size - o->low;
    }
    size_t left = (size_t)(scratch->end - scratch->beg) - (used + 63) / 64 * 64 * threads;
    if (left < scratch->st->low) scratch->st->low = left;
}

/* ---- Spectral mixing ----------------------------------------------------------------------------
 *
 * T is done axis by axis, the last one first, and T' in the reverse order. Along an axis it is a
 * real transform of many lanes (channels, and the real and imaginary parts that the axes before it
 * left):
 *
 *     re_k = s_k sum_j f_j cos(2 pi jk/n)      im_k = -s_k sum_j f_j sin(2 pi jk/n)      k = 0..top
 *
 * and T' along an axis is its transpose,
 *
 *     f_j = sum_k s_k (cos(2 pi jk/n) re_k - sin(2 pi jk/n) im_k)
 *
 * For a real axis that is all. A complex one, of lanes a + ib with transforms A and B, has
 * u_k = A_k + i B_k and u_-k = conj A_k + i conj B_k (spec_axis_run).
 *
 * The plain form is these sums. The fast one, where few modes are kept, is sums folded twice
 * (spec_fold) times a table, an eighth of the work of the plain complex sum on a real axis of even
 * n; where many are, it is fd_fft_run over the lanes. */

struct spec_axis {
    int n, lo, hi, top;               /* kept modes lo..hi, top = max |k| */
    double s[2];                      /* s_k along this axis: at 0 and n/2; elsewhere */
    fd_real *tab;                     /* cosines, then minus sines: see spec_axis_new */
    const fd_fft *fft;                /* or this */
};

/* cos(2 pi q/(4n)), reduced by integers to an eighth of a turn, which makes zeros and symmetries
 * exact */
static double spec_cos(long long q, int n)
{
    const double pi = FD_PI;
    long long turn = 4LL * n;
    double sign = 1;
    q = (q % turn + turn) % turn;
    if (2 * q > turn) q = turn - q;
    if (4 * q > turn) { q = turn / 2 - q; sign = -1; }
    return sign * (8 * q > turn ? sin(2 * pi * (double)(turn / 4 - q) / (double)turn)
                                : cos(2 * pi * (double)q / (double)turn));
}

/* The scale and the table of one axis. The last one is real: each mode stands for k and -k. */
#ifdef FD_PLAIN
static struct spec_axis spec_axis_new(fd_arena *a, int n, int lo, int hi, int last, int back)
{
    struct spec_axis x = { n, lo, hi, hi > -lo ? hi : -lo,
                           { sqrt(1.0 / n), sqrt((last ? 2.0 : 1.0) / n) },
                           fd_raw(a, fd_real, 2 * (ptrdiff_t)n), NULL };
    (void)back;
    for (int q = 0; q < n && x.tab; q++) {
        x.tab[q] = (fd_real)spec_cos(4LL * q, n);
        x.tab[n + q] = (fd_real)-spec_cos(4LL * q - n, n);
    }
    return x;
}

/* T along one axis: f [n][lanes] -> re, im [top+1][lanes] */
static void spec_lines(const struct spec_axis *a, int lanes, const fd_real *f, ptrdiff_t ldf,
                       fd_real *re, fd_real *im, ptrdiff_t ldo, fd_real *tmp, ptrdiff_t ahead,
                       fd_arena scratch)
{
    (void)tmp, (void)ahead, (void)scratch;
    for (int k = 0; k <= a->top; k++, re += ldo, im += ldo) {
        const fd_real s = (fd_real)a->s[k != 0 && 2 * k != a->n];
        for (int l = 0; l < lanes; l++) re[l] = im[l] = 0;
        for (int j = 0; j < a->n; j++) {
            const ptrdiff_t q = (ptrdiff_t)((long long)j * k % a->n);
            const fd_real c = s * a->tab[q], v = s * a->tab[a->n + q], *row = f + j * ldf;
            for (int l = 0; l < lanes; l++) {
                re[l] += c * row[l];
                im[l] += v * row[l];
            }
        }
    }
}

/* T' along one axis: re, im -> f */
static void spec_lines_back(const struct spec_axis *a, int lanes, const fd_real *re,
                            const fd_real *im, ptrdiff_t ldo, fd_real *f, ptrdiff_t ldf,
                            fd_real *tmp, ptrdiff_t ahead, fd_arena scratch)
{
    (void)tmp, (void)ahead, (void)scratch;
    for (int j = 0; j < a->n; j++, f += ldf) {
        for (int l = 0; l < lanes; l++) f[l] = 0;
        for (int k = 0; k <= a->top; k++) {
            const ptrdiff_t q = (ptrdiff_t)((long long)j * k % a->n);
            const fd_real s = (fd_real)a->s[k != 0 && 2 * k != a->n];
            const fd_real c = s * a->tab[q], v = s * a->tab[a->n + q];
            for (int l = 0; l < lanes; l++) f[l] += c * re[k * ldo + l] + v * im[k * ldo + l];
        }
    }
}

#define spec_fetch(n, x) ((void)0)                    /* nothing is fetched ahead of its use */
#else
enum {                                             /* a register block: */
    SPEC_MR = FD_BYTES >= 64 ? 14 : 12,            /* modes of spec_fold */
    SPEC_PARTS = FD_BYTES >= 64 ? 1 : 2,           /* 2: re and im in a block each; 1: in one */
    SPEC_BACK = FD_BYTES >= 64 ? 7 : 3             /* rows of spec_unfold */
};

FD_INLINE fd_vec lanes_load(const fd_real *p, int w) { return w < FD_W ? vload_n(p, w) : vload(p); }
FD_INLINE void lanes_store(fd_real *p, fd_vec v, int w)
{
    if (w < FD_W) vstore_n(p, v, w);
    else vstore(p, v);
}

/* rows that have the others for partners */
#define SPEC_QUARTER(n) ((n) % 2 ? (n) / 2 + 1 : (n) / 4 + 1)

/* Folded sums. Since cos(2 pi k (h - j)/n) = (-1)^k cos(2 pi k j/n), a row j has the partner n - j
 * and, where n = 2h, also h - j and h + j:
 *
 *     e = f_j + f_n-j,   e' = f_h-j + f_h+j,        o = f_j - f_n-j,   o' = f_h-j - f_h+j
 *     re_k = sum_j c_jk (e +- e')                   im_k = sum_j s_jk (o -+ o')
 *
 * over 0 <= j <= h/2, or (n - 1)/2 of an odd n, which has no e', o'. The sign above is for even k.
 * Rows that are their own partners come twice: half of c_jk, s_jk. That is eight sums and 2m
 * products for four rows and m <= SPEC_MR modes of one vector of lanes. These modes stay in
 * registers, as m is a constant. With 16 registers only one part at a time leaves room for e or o:
 * re (part = 0), then im (1).
 *
 * c and s are [1 + n/4 or n/2][ldt], with k = 0 even. What is read next, `ahead` of f, is fetched
 * a few lines at a time, since a whole row at once would hold up the loads of this one. */
FD_INLINE void spec_fold(int m, int part, int n, const fd_real *restrict c,
                         const fd_real *restrict s, int ldt, const fd_real *restrict f,
                         ptrdiff_t ldf, fd_real *restrict re, fd_real *restrict im,
                         ptrdiff_t ldo, int w, ptrdiff_t ahead)
{
    fd_vec u[SPEC_MR], v[SPEC_MR];
    const fd_real *f0 = f, *f1 = f;                                      /* rows j, n - j */
    const fd_real *f2 = f + n / 2 * ldf, *f3 = f2;                       /* rows h - j, h + j */
    FD_UNROLL
    for (int k = 0; k < m; k++) u[k] = v[k] = (fd_vec){0};
    for (int j = 0; j < SPEC_QUARTER(n); j++, c += ldt, s += ldt) {
        fd_vec x = lanes_load(f0, w), y = lanes_load(f1, w), e[2], o[2];
        if (SPEC_PARTS == 2 && part == 0) {
            vfetch(f0 + ahead, 0, 3);
            vfetch(f1 + ahead, 0, 3);
            vfetch(f2 + ahead, 0, 3);
            vfetch(f3 + ahead, 0, 3);
        }
        f0 += ldf;
        f1 = j ? f1 - ldf : f + (n - 1) * ldf;
        e[0] = e[1] = x + y;
        o[0] = o[1] = x - y;
        if (n % 2 == 0) {
            x = lanes_load(f2, w);
            y = lanes_load(f3, w);
            f2 -= ldf;
            f3 += ldf;
            fd_vec p = x + y, q = x - y;
            e[0] += p, e[1] -= p;
            o[0] -= q, o[1] += q;
        }
        FD_UNROLL
        for (int k = 0; k < m; k++) {
            if (SPEC_PARTS == 1 || part == 0) u[k] += c[k] * e[k % 2];
            if (SPEC_PARTS == 1 || part == 1) v[k] += s[k] * o[k % 2];
        }
    }
    FD_UNROLL
    for (int k = 0; k < m; k++) {
        if (SPEC_PARTS == 1 || part == 0) lanes_store(re + k * ldo, u[k], w);
        if (SPEC_PARTS == 1 || part == 1) lanes_store(im + k * ldo, v[k], w);
    }
}

/* Their transpose for r <= SPEC_BACK rows from j on and their partners:
 *
 *     e_p = sum c_jk re_k,   o_p = sum s_jk im_k   over k = p mod 2
 *     f_j, f_n-j = (e_0 + e_1) +- (o_0 + o_1),     f_h-j, f_h+j = (e_0 - e_1) +- (o_1 - o_0)
 *
 * c and s are [top+1][ldt], both from row j on. */
FD_INLINE void spec_unfold(int r, int j, int n, int m, const fd_real *restrict c,
                           const fd_real *restrict s, int ldt, const fd_real *restrict re,
                           const fd_real *restrict im, ptrdiff_t ldo, fd_real *restrict f,
                           ptrdiff_t ldf, int w, ptrdiff_t ahead)
{
    fd_vec e[2][SPEC_BACK], o[2][SPEC_BACK];
    int h = n / 2;
    FD_UNROLL
    for (int i = 0; i < r; i++) e[0][i] = e[1][i] = o[0][i] = o[1][i] = (fd_vec){0};
    for (int k = 0; k < m; k += 2)
        FD_UNROLL
        for (int p = 0; p < 2; p++, re += ldo, im += ldo, c += ldt, s += ldt) {
            if (k + p == m) break;
            fd_vec x = lanes_load(re, w), y = lanes_load(im, w);
            FD_UNROLL
            for (int i = 0; i < r; i++) {
                e[p][i] += c[i] * x;
                o[p][i] += s[i] * y;
            }
        }
    FD_UNROLL
    for (int i = 0; i < r; i++, j++) {
        fd_vec x = e[0][i] + e[1][i], y = o[0][i] + o[1][i];
        lanes_store(f + j * ldf, x + y, w);
        lanes_store(f + (j ? n - j : 0) * ldf, x - y, w);
        if (SPEC_PARTS == 2) {
            vfetch(f + j * ldf + ahead, 1, 3);
            vfetch(f + (j ? n - j : 0) * ldf + ahead, 1, 3);
            vfetch(f + (h - j) * ldf + ahead, 1, 3);
            vfetch(f + (h + j) * ldf + ahead, 1, 3);
        }
        if (n % 2) continue;
        x = e[0][i] - e[1][i];
        y = o[1][i] - o[0][i];
        lanes_store(f + (h - j) * ldf, x + y, w);
        lanes_store(f + (h + j) * ldf, x - y, w);
    }
}

/* Fetch n numbers that will be read soon, while others are summed. */
static inline void spec_fetch(ptrdiff_t n, const fd_real *x)
{
    for (ptrdiff_t i = 0; SPEC_PARTS == 1 && i < n; i += 64 / (ptrdiff_t)sizeof *x)
        vfetch(x + i, 0, 2);
}

/* m modes or rows in the fewest nearly equal blocks of at most `most`; an even number of modes */
static int spec_rows(int m, int most)
{
    int blocks = (m + most - 1) / most, rows = (m + blocks - 1) / blocks;
    return rows < most ? rows + rows % 2 : rows;
}

#if FD_BYTES >= 64
#define SPEC_CASES ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7)
#define SPEC_MORE ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12) ROWS(13) ROWS(14)
#else
#define SPEC_CASES ROWS(1) ROWS(2) ROWS(3)
#define SPEC_MORE ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#endif

/* The table is [rows][top+1] as spec_fold wants it, or (back) the transpose of that. */
static struct spec_axis spec_axis_new(fd_arena *a, int n, int lo, int hi, int last, int back)
{
    struct spec_axis x = { n, lo, hi, hi > -lo ? hi : -lo, { sqrt(1.0 / n), sqrt(1.0 / n) }, NULL,
                           NULL };
    int rows = SPEC_QUARTER(n), m = x.top + 1;
    if (last) x.s[1] = sqrt(2.0 / n);
    int log2n = 0;
    while (n >> log2n) log2n++;
    if (m > (n % 2 ? 8 : 16) + 4 * log2n) {           /* about where the folded sums stop paying */
        x.fft = fd_fft_plan(a, FD_R2C, n);
        return x;
    }
    double *turn = fd_raw(a, double, 2 * (ptrdiff_t)n);                /* cosines, minus sines */
    fd_real *t = x.tab = fd_raw(a, fd_real, 2 * (ptrdiff_t)rows * m);
    if (!t) return x;
    for (int j = 0; j < n; j++) {
        turn[j] = spec_cos(4LL * j, n);
        turn[n + j] = -spec_cos(4LL * j - n, n);
    }
    for (int part = 0; part < 2; part++, t += (ptrdiff_t)rows * m)
        for (int j = 0; j < rows; j++) {
            int twice = !back && (j == 0 || 4 * j == n);
            for (int k = 0; k < m; k++) {
                double s = x.s[k != 0 && 2 * k != n] / (1 + twice);
                double v = s * turn[part * n + (long long)j * k % n];
                t[back ? (ptrdiff_t)k * rows + j : (ptrdiff_t)j * m + k] = (fd_real)v;
            }
        }
    return x;
}

/* f [n][lanes] -> re, im [top+1][lanes]; tmp is [n][lanes]. What is read next is `ahead` of f. */
static void spec_lines(const struct spec_axis *a, int lanes, const fd_real *restrict f,
                       ptrdiff_t ldf, fd_real *restrict re, fd_real *restrict im, ptrdiff_t ldo,
                       fd_real *restrict tmp, ptrdiff_t ahead, fd_arena scratch)
{
    int n = a->n, m = a->top + 1;
    size_t row = (size_t)lanes * sizeof(fd_real);
    if (a->fft) {
        for (int j = 0; j < n; j++) memcpy(tmp + (ptrdiff_t)j * lanes, f + j * ldf, row);
        fd_fft_run(a->fft, -1, 1.0, lanes, 1, lanes, tmp, scratch);      /* r0, r1, i1, r2, .. */
        for (int k = 0; k < m; k++) {
            const fd_real *r = tmp + (ptrdiff_t)(k ? 2 * k - 1 : 0) * lanes;
            int twin = k != 0 && 2 * k != n;
            fd_real s = (fd_real)a->s[twin];
            for (int l = 0; l < lanes; l++) {
                re[k * ldo + l] = s * r[l];
                im[k * ldo + l] = twin ? s * r[lanes + l] : 0;
            }
        }
        return;
    }
    for (int l = 0; l < lanes; l += FD_W)
        for (int k = 0, rows = spec_rows(m, SPEC_MR); k < m; k += rows) {
            const fd_real *c = a->tab + k, *v = c + (ptrdiff_t)SPEC_QUARTER(n) * m;
            if (rows > m - k) rows = m - k;
            switch (rows) {
#define SPEC_PART(r, part, w) \
                spec_fold(r, part, n, c, v, m, f + l, ldf, re + k * ldo + l, im + k * ldo + l, \
                          ldo, w, ahead)
#define SPEC_FOLD(r, w) \
                do { SPEC_PART(r, 0, w); if (SPEC_PARTS == 2) SPEC_PART(r, 1, w); } while (0)
#define ROWS(r) case r: \
                if (lanes - l >= FD_W) SPEC_FOLD(r, FD_W); \
                else                   SPEC_FOLD(r, lanes - l); \
                break;
            SPEC_CASES
            SPEC_MORE
            default: break;
#undef ROWS
#undef SPEC_FOLD
#undef SPEC_PART
            }
        }
}

/* The transpose: re, im -> f. What is written next is `ahead` of it. */
static void spec_lines_back(const struct spec_axis *a, int lanes, const fd_real *restrict re,
                            const fd_real *restrict im, ptrdiff_t ldo, fd_real *restrict f,
                            ptrdiff_t ldf, fd_real *restrict tmp, ptrdiff_t ahead, fd_arena scratch)
{
    int n = a->n, m = a->top + 1, all = SPEC_QUARTER(n);
    size_t row = (size_t)lanes * sizeof(fd_real);
    if (a->fft) {
        memset(tmp, 0, (size_t)n * row);
        for (int k = 0; k < m; k++) {                 /* the inverse adds the mirror image */
            fd_real *r = tmp + (ptrdiff_t)(k ? 2 * k - 1 : 0) * lanes;
            int twin = k != 0 && 2 * k != n;
            fd_real s = (fd_real)(twin ? a->s[1] / 2 : a->s[0]);
            for (int l = 0; l < lanes; l++) {
                r[l] = s * re[k * ldo + l];
                if (twin) r[lanes + l] = s * im[k * ldo + l];
            }
        }
        fd_fft_run(a->fft, 1, 1.0, lanes, 1, lanes, tmp, scratch);
        for (int j = 0; j < n; j++) memcpy(f + j * ldf, tmp + (ptrdiff_t)j * lanes, row);
        return;
    }
    for (int j = 0, rows = spec_rows(all, SPEC_BACK); j < all; j += rows) {
        const fd_real *c = a->tab + j, *v = c + (ptrdiff_t)all * m;
        if (rows > all - j) rows = all - j;
        switch (rows) {
#define ROWS(r) case r: \
            for (int l = 0; l < lanes; l += FD_W) \
                spec_unfold(r, j, n, m, c, v, all, re + l, im + l, ldo, f + l, ldf, lanes - l, \
                            ahead); \
            break;
        SPEC_CASES
        default: break;
#undef ROWS
        }
    }
}
#endif

/* How many lanes of a complex axis are done together: whole pairs of parts, about 128. */
static int spec_chunk(int pair, ptrdiff_t lanes)
{
    ptrdiff_t c = pair * (ptrdiff_t)(pair < 128 ? 128 / pair : 1);
    return (int)(c < lanes ? c : lanes);
}

/* How far apart rows of so many lanes lie that are summed over: an odd number of lines of the
 * cache, or many would fall on the same sets. */
static ptrdiff_t spec_pitch(ptrdiff_t lanes)
{
    const ptrdiff_t line = 64 / (ptrdiff_t)sizeof(fd_real);
    return ((lanes + line - 1) / line | 1) * line;
}

/* One complex axis of one sample, forwards or back: f [n][pitch], u [hi-lo+1][lanes], lanes in
 * pairs of ch real parts and ch imaginary ones. tmp [n + 2(top+1)][chunk]. */
static void spec_axis_run(const struct spec_axis *a, int back, int ch, ptrdiff_t lanes, fd_real *f,
                          fd_real *u, fd_real *tmp, fd_arena scratch)
{
    int chunk = spec_chunk(2 * ch, lanes), m = a->top + 1, line = 64 / (int)sizeof *f;
    ptrdiff_t pitch = spec_pitch(lanes);
    fd_real *re = tmp + (ptrdiff_t)a->n * chunk, *im = re + (ptrdiff_t)m * chunk;
    for (ptrdiff_t at = 0; at < lanes; at += chunk) {
        int w = (int)(lanes - at < chunk ? lanes - at : chunk);
        if (!back) spec_lines(a, w, f + at, pitch, re, im, chunk, tmp, line, scratch);
        for (int k = 0; k < m; k++) {                 /* k, -k from both parts, or back */
            const int has = k >= a->lo && k <= a->hi, mirror = k && -k >= a->lo && -k <= a->hi;
            fd_real *plus  = has ? u + (k - a->lo) * lanes + at : NULL;
            fd_real *minus = mirror ? u + (-k - a->lo) * lanes + at : NULL;
            for (int l = 0; l < w; l += 2 * ch) {
                fd_real *ra = re + (ptrdiff_t)k * chunk + l, *rb = ra + ch;
                fd_real *ia = im + (ptrdiff_t)k * chunk + l, *ib = ia + ch;
                fd_real *p = plus ? plus + l : NULL, *q = minus ? minus + l : NULL;
                if (!back) {
                    if (p) for (int c = 0; c < ch; c++) {
                        p[c] = ra[c] - ib[c];
                        p[ch + c] = ia[c] + rb[c];
                    }
                    if (q) for (int c = 0; c < ch; c++) {
                        q[c] = ra[c] + ib[c];
                        q[ch + c] = rb[c] - ia[c];
                    }
                } else {
                    for (int c = 0; c < ch; c++) {
                        fd_real pr = p ? p[c] : 0, pi = p ? p[ch + c] : 0;
                        fd_real qr = q ? q[c] : 0, qi = q ? q[ch + c] : 0;
                        ra[c] = pr + qr;
                        ia[c] = pi - qi;
                        rb[c] = pi + qi;
                        ib[c] = qr - pr;
                    }
                }
            }
        }
        if (back) spec_lines_back(a, w, re, im, chunk, f + at, pitch, tmp, line, scratch);
    }
}

/* Room for one sample: two fields of which some axes are done, and lines. */
struct spec_work { fd_real *a, *b, *tmp; };

static struct spec_work spec_room(const struct spec *s, int ch, const struct spec_axis ax[3],
                                  fd_arena *mem)
{
    int last = s->nd - 1;
    ptrdiff_t size = (ptrdiff_t)s->n[last] * ch;
    ptrdiff_t rows = s->points / s->n[last], lanes = (ptrdiff_t)(s->hi[last] + 1) * 2 * ch;
    ptrdiff_t most = rows * spec_pitch(lanes);
    for (int i = last - 1; i >= 0; i--) {
        rows /= s->n[i];
        lanes *= s->hi[i] - s->lo[i] + 1;
        if (rows * spec_pitch(lanes) > most) most = rows * spec_pitch(lanes);
    }
    for (int i = 0; i < last; i++) {
        ptrdiff_t lines = s->n[i] + 2 * (ax[i].top + 1);
        lines *= spec_chunk(2 * ch, PTRDIFF_MAX);
        if (lines > size) size = lines;
    }
    struct spec_work w = { fd_raw(mem, fd_real, most), NULL, NULL };
    w.b = last ? fd_raw(mem, fd_real, most) : w.a;
    w.tmp = fd_raw(mem, fd_real, size);
    return w;
}

/* The tables of all axes, of T or (back) of T'. */
static void spec_axes(const struct spec *s, int back, struct spec_axis ax[3], fd_arena *scratch)
{
    for (int i = 0; i < s->nd; i++)
        ax[i] = spec_axis_new(scratch, s->n[i], s->lo[i], s->hi[i], i == s->nd - 1, back);
}

/* p = (re, im), q = (im, -re) for each channel */
static void spec_pairs(int ch, const fd_real *restrict re, const fd_real *restrict im,
                       fd_real *restrict p, fd_real *restrict q)
{
    for (int c = 0; c < ch; c++) {
        fd_real r = re[c], i = im[c];
        p[2 * c] = r;
        p[2 * c + 1] = i;
        q[2 * c] = i;
        q[2 * c + 1] = -r;
    }
}

/* re and im of products of rows with pairs */
static void spec_unpair(int ch, const fd_real *restrict p, const fd_real *restrict q,
                        fd_real *restrict re, fd_real *restrict im)
{
    for (int c = 0; c < ch; c++) {
        re[c] = p[2 * c] - q[2 * c + 1];
        im[c] = p[2 * c + 1] + q[2 * c];
    }
}

/* T x of sample i: rows r..end of the last axis, any number at a time; then, in spec_to_end, the
 * other axes. The result h has rows [mode][re, im][b][ch] or, where pairs = 1, [mode][2][b][ch][2]
 * with (re, im) in the first half and (im, -re) in the second, so that products of rows with pairs
 * are complex products. */
static void spec_to_rows(const struct spec *s, const struct spec_axis ax[3], int ch, ptrdiff_t r,
                         ptrdiff_t end, const fd_real *x, struct spec_work w, fd_arena mem)
{
    int last = s->nd - 1;
    ptrdiff_t size = (ptrdiff_t)s->n[last] * ch;
    ptrdiff_t pitch = spec_pitch((ptrdiff_t)(s->hi[last] + 1) * 2 * ch);
    for (; r < end; r++, x += size) {
        fd_real *u = w.a + r * pitch;
        if (r + 1 < end) spec_fetch(size, x + size);
        spec_lines(&ax[last], ch, x, ch, u, u + ch, 2 * ch, w.tmp, r + 1 < end ? size : 0, mem);
    }
}

/* the other axes of spec_to_rows */
static void spec_to_end(const struct spec *s, const struct spec_axis ax[3], int ch, int pairs,
                        int i, struct spec_work w, fd_real *h, fd_arena mem)
{
    int last = s->nd - 1, b = s->b;
    ptrdiff_t rows = s->points / s->n[last], lanes = (ptrdiff_t)(s->hi[last] + 1) * 2 * ch;
    for (int d = last - 1; d >= 0; d--) {
        int kd = s->hi[d] - s->lo[d] + 1;
        rows /= s->n[d];
        for (ptrdiff_t r = 0; r < rows; r++)
            spec_axis_run(&ax[d], 0, ch, lanes, w.a + r * s->n[d] * spec_pitch(lanes),
                          w.b + r * spec_pitch(kd * lanes), w.tmp, mem);
        lanes *= kd;
        fd_real *swap = w.a; w.a = w.b; w.b = swap;
    }
    for (ptrdiff_t m = 0; m < s->modes; m++) {
        const fd_real *re = w.a + m * 2 * ch, *im = re + ch;
        fd_real *p = h + (m * 2 * b + i) * ch * (pairs + 1);                       /* h[m][0][i] */
        fd_real *q = p + (ptrdiff_t)b * ch * (pairs + 1);                          /* h[m][1][i] */
        if (!pairs) {
            memcpy(p, re, (size_t)ch * sizeof *p);
            memcpy(q, im, (size_t)ch * sizeof *q);
        } else {
            spec_pairs(ch, re, im, p, q);
        }
    }
}

/* y = T' of sample i of h, in the same two parts. h has rows as above or, where pairs = 1, a
 * product with pairs, [mode][2][b][ch][2], of which the complex sums (p00 - p11) and (p01 + p10)
 * are taken. What spec_from_rows needs is left in w.a. */
static struct spec_work spec_from_begin(const struct spec *s, const struct spec_axis ax[3], int ch,
                                        int pairs, int i, const fd_real *h, fd_arena *mem)
{
    struct spec_work w = spec_room(s, ch, ax, mem);
    if (!w.tmp) return w;
    int last = s->nd - 1, b = s->b;
    for (ptrdiff_t m = 0; m < s->modes; m++) {
        fd_real *re = w.a + m * 2 * ch, *im = re + ch;
        const fd_real *p = h + (m * 2 * b + i) * ch * (pairs + 1);
        const fd_real *q = p + (ptrdiff_t)b * ch * (pairs + 1);
        if (!pairs) {
            memcpy(re, p, (size_t)ch * sizeof *p);
            memcpy(im, q, (size_t)ch * sizeof *q);
        } else {
            spec_unpair(ch, p, q, re, im);
        }
    }
    ptrdiff_t rows = 1, lanes = s->modes * 2 * ch;
    for (int d = 0; d < last; d++) {
        int kd = s->hi[d] - s->lo[d] + 1;
        lanes /= kd;
        for (ptrdiff_t r = 0; r < rows; r++)
            spec_axis_run(&ax[d], 1, ch, lanes, w.b + r * s->n[d] * spec_pitch(lanes),
                          w.a + r * spec_pitch(kd * lanes), w.tmp, *mem);
        rows *= s->n[d];
        fd_real *swap = w.a; w.a = w.b; w.b = swap;
    }
    return w;
}

/* rows r..end of the last axis; y is at row r */
static void spec_from_rows(const struct spec *s, const struct spec_axis ax[3], int ch, ptrdiff_t r,
                           ptrdiff_t end, struct spec_work w, fd_real *y, fd_arena mem)
{
    int last = s->nd - 1;
    ptrdiff_t size = (ptrdiff_t)s->n[last] * ch;
    ptrdiff_t pitch = spec_pitch((ptrdiff_t)(s->hi[last] + 1) * 2 * ch);
    for (; r < end; r++, y += size) {
        fd_real *u = w.a + r * pitch;
        spec_lines_back(&ax[last], ch, u, u + ch, 2 * ch, y, ch, w.tmp, r + 1 < end ? size : 0,
                        mem);
    }
}

/* Is a batch worth more than one thread? */
#define SPEC_WIDE(s, ch) ((s)->b > 1 && (s)->b * (s)->points * (ch) > TAPE_BLOCK)

static void spec_to_modes(const struct spec *s, int ch, int pairs, const fd_real *x, fd_real *h,
                          fd_arena scratch)
{
    struct spec_axis ax[3];
    spec_axes(s, 0, ax, &scratch);
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    FD_PARALLEL_IF(SPEC_WIDE(s, ch))
    for (int i = 0; i < s->b; i++) {
        fd_arena mem = job[threads_this()].mem;
        struct spec_work w = spec_room(s, ch, ax, &mem);
        if (!w.tmp) continue;
        spec_to_rows(s, ax, ch, 0, s->points / s->n[s->nd - 1], x + i * s->points * ch, w, mem);
        spec_to_end(s, ax, ch, pairs, i, w, h, mem);
    }
    job_join(job, &scratch);
}

static void spec_from_modes(const struct spec *s, int ch, int pairs, const fd_real *h, fd_real *y,
                            fd_arena scratch)
{
    struct spec_axis ax[3];
    spec_axes(s, 1, ax, &scratch);
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    FD_PARALLEL_IF(SPEC_WIDE(s, ch))
    for (int i = 0; i < s->b; i++) {
        fd_arena mem = job[threads_this()].mem;
        struct spec_work w = spec_from_begin(s, ax, ch, pairs, i, h, &mem);
        fd_real *to = y + i * s->points * ch;
        if (w.tmp) spec_from_rows(s, ax, ch, 0, s->points / s->n[s->nd - 1], w, to, mem);
    }
    job_join(job, &scratch);
}

/* --- The products in the modes --- */

/* h = R p for each mode: rows p times R [ci][2 co] */
static fd_real *spec_mul(const struct spec *s, const fd_real *p, const fd_real *R,
                         fd_arena *scratch)
{
    int ci = s->ci, co = s->co, b = s->b;
    fd_real *h = fd_raw(scratch, fd_real, s->modes * 4 * b * co);
    if (!h) return NULL;
    if (s->each) {
        FD_PARALLEL_IF(s->modes * b * ci > TAPE_BLOCK)
        for (ptrdiff_t m = 0; m < s->modes; m++)
            for (ptrdiff_t r = m * 2 * b; r < (m + 1) * 2 * b; r++)
                for (int c = 0; c < 2 * ci; c++)
                    h[r * 2 * ci + c] = p[r * ci + c / 2] * R[m * 2 * ci + c];
        return h;
    }
    fd_gemm_batch((int)s->modes, 0, 0, 2 * b, 2 * co, ci, 1.0, p, ci, (ptrdiff_t)2 * b * ci, R,
                  2 * co, (ptrdiff_t)2 * ci * co, 0.0, h, 2 * co, (ptrdiff_t)4 * b * co, *scratch);
    return h;
}

/* h = R^H e for each mode: pairs e times R^T */
static fd_real *spec_mul_adjoint(const struct spec *s, const fd_real *e, const fd_real *R,
                                 fd_arena *scratch)
{
    int ci = s->ci, co = s->co, b = s->b;
    fd_real *h = fd_raw(scratch, fd_real, s->modes * 2 * b * ci);
    if (!h) return NULL;
    if (s->each) {
        FD_PARALLEL_IF(s->modes * b * ci > TAPE_BLOCK)
        for (ptrdiff_t m = 0; m < s->modes; m++)
            for (ptrdiff_t r = m * 2 * b; r < (m + 1) * 2 * b; r++)
                for (int c = 0; c < ci; c++) {
                    const fd_real *u = e + (r * ci + c) * 2, *v = R + (m * ci + c) * 2;
                    h[r * ci + c] = u[0] * v[0] + u[1] * v[1];
                }
        return h;
    }
    fd_gemm_batch((int)s->modes, 0, 1, 2 * b, ci, 2 * co, 1.0, e, 2 * co, (ptrdiff_t)4 * b * co, R,
                  2 * co, (ptrdiff_t)2 * ci * co, 0.0, h, ci, (ptrdiff_t)2 * b * ci, *scratch);
    return h;
}

/* g = conj(p) e for each mode: rows p times pairs e, summed over the samples */
static void spec_mul_gradient(const struct spec *s, const fd_real *p, const fd_real *e, fd_real *g,
                              fd_arena scratch)
{
    int ci = s->ci, co = s->co, b = s->b;
    if (s->each) {
        FD_PARALLEL_IF(s->modes * b * ci > TAPE_BLOCK)
        for (ptrdiff_t m = 0; m < s->modes; m++) {
            fd_real *to = g + m * 2 * ci;
            memset(to, 0, (size_t)(2 * ci) * sizeof *to);
            for (ptrdiff_t r = m * 2 * b; r < (m + 1) * 2 * b; r++)
                for (int c = 0; c < 2 * ci; c++) to[c] += p[r * ci + c / 2] * e[r * 2 * ci + c];
        }
        return;
    }
    fd_gemm_batch((int)s->modes, 1, 0, ci, 2 * co, 2 * b, 1.0, p, ci, (ptrdiff_t)2 * b * ci, e,
                  2 * co, (ptrdiff_t)4 * b * co, 0.0, g, 2 * co, (ptrdiff_t)2 * ci * co, scratch);
}

/* ---- Fused layers -------------------------------------------------------------------------------
 *
 * What a layer does between two spectral convolutions moves far more bytes than it computes. So the
 * fast forms do it a block at a time, while the block is in the cache, and their reverse passes
 * compute again what is cheap instead of storing it. The blocks are fixed by the shape alone. The
 * plain forms are the same layers made of operators of the tape, which have derivatives of every
 * order; of the fast ones only fuse_dense has more than the first. */

#ifndef FD_PLAIN
enum { FUSE_PARTS = 16 };              /* partial sums of the gradients of weights */

/* How many rows a block has that meets weights [k][c], at most n: what a level-1 cache holds, or a
 * level-2 cache where the weights are so many that a product copies them first, so that this copy
 * is a small part of the work. */
static int fuse_rows(int k, int c, int n)
{
    int rows = ((ptrdiff_t)k * c <= 8192 ? 16384 : 65536) / c;
    rows = rows < 32 ? 32 : rows > 1024 ? 1024 : rows;
    return rows < n ? rows : n;
}

/* room for the gradients of those of the four sources of y that need one */
static void fuse_gradients(fd_tape *t, const fd_var *y, fd_var *dx[4])
{
    for (int i = 0; i < 4; i++)
        if (y->src[i]->needs) dx[i] = tape_like(t, y->src[i]);
}

/* y [m][n] = the transpose of x [n][m] */
static void fuse_turn(int m, int n, const fd_real *x, fd_real *y)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) y[(ptrdiff_t)i * n + j] = x[(ptrdiff_t)j * m + i];
}

/* how many reals of gates ss a sample has of its own; 0 where all samples share them */
static int fuse_gate(const fd_var *ss)
{
    return ss->nd > 1 && ss->n[0] > 1 ? ss->n[1] * ss->n[2] : 0;
}

/* --- Thin products: so few columns that a tile of a product would stay nearly empty ---
 *
 * v is the matrix transposed, [out][k]. A row of x meets it in SUM_LANES sums, whatever the width
 * of a vector. */

enum { THIN = 4 };

/* y[r][o] (+)= sum_i x[r][i] v[o][i] */
static void thin_product(int rows, int k, int out, const fd_real *x, const fd_real *v, int add,
                         fd_real *y)
{
    for (int r = 0; r < rows; r++, x += k, y += out)
        for (int o = 0; o < out; o++) {
            const fd_real *w = v + (ptrdiff_t)o * k;
            fd_real s[SUM_LANES] = { 0 };
            int i = 0;
            for (; i + SUM_LANES <= k; i += SUM_LANES)
                for (int l = 0; l < SUM_LANES; l++) s[l] += x[i + l] * w[i + l];
            for (int l = 0; i + l < k; l++) s[l] += x[i + l] * w[i + l];
            for (int n = SUM_LANES / 2; n; n /= 2)
                for (int l = 0; l < n; l++) s[l] += s[l + n];
            y[o] = add ? y[o] + s[0] : s[0];
        }
}

/* Its reverse: dx = dy v, dv += dy^T x. Either may be NULL. */
static void thin_back(int rows, int k, int out, const fd_real *x, const fd_real *v,
                      const fd_real *dy, fd_real *restrict dx, fd_real *restrict dv)
{
    for (int r = 0; r < rows; r++, dy += out)
        for (int o = 0; o < out; o++) {
            const fd_real d = dy[o], *w = v + (ptrdiff_t)o * k, *xr = x + (ptrdiff_t)r * k;
            fd_real *to = dx ? dx + (ptrdiff_t)r * k : NULL, *g = dv ? dv + (ptrdiff_t)o * k : NULL;
            if (to && !o) for (int i = 0; i < k; i++) to[i] = d * w[i];
            else if (to)  for (int i = 0; i < k; i++) to[i] += d * w[i];
            if (g)        for (int i = 0; i < k; i++) g[i] += d * xr[i];
        }
}

/* --- Gates: y = f(z), z = u + shift, or z = scale u + shift ---
 *
 * a is the shift [c], or scale and shift [2][c]. The reverse pass is dz = dy f'(z), du = scale dz,
 * dshift = sum dz, dscale = sum dz u. Where there is a scale it needs u, and computes z and f'(z)
 * from that again; where there is none, f'(z) is kept. */

enum { GATE_ROWS = 128 };

/* How many rows a block has: so few that a sum over them needs no double. */
static int gate_rows(int c)
{
    int rows = 4096 / c;
    return rows < 8 ? 8 : rows > GATE_ROWS ? GATE_ROWS : rows;
}

/* z [rows][c] of u; it may be u */
static void gate_in(int scaled, int rows, int c, const fd_real *a, const fd_real *u, fd_real *z)
{
    for (int r = 0; r < rows; r++, u += c, z += c)
        if (!scaled) for (int j = 0; j < c; j++) z[j] = u[j] + a[j];
        else         for (int j = 0; j < c; j++) z[j] = a[j] * u[j] + a[c + j];
}

/* y = f(z), or z where f < 0, and f'(z) where slope is not NULL; z is room for gate_rows rows. */
static void gate_run(int f, int scaled, int rows, int c, const fd_real *a, const fd_real *u,
                     fd_real *y, fd_real *slope, fd_real *z)
{
    int block = gate_rows(c);
    for (int r = 0; r < rows; r += block) {
        int m = rows - r < block ? rows - r : block;
        ptrdiff_t at = (ptrdiff_t)r * c, size = (ptrdiff_t)m * c;
        gate_in(scaled, m, c, a, u + at, f < 0 ? y + at : z);
        if (f >= 0 && slope) map_both(f, size, z, NULL, y + at, slope + at);
        else if (f >= 0) map_block(f, size, z, NULL, NULL, y + at);
    }
}

/* du, and sum += (sum dz u, sum dz), or without a scale sum dz. This needs the slope where there
 * is no scale, and y where there is one; if y was not kept, v gets it. part [2][c] and z, of
 * gate_rows rows, are room. */
static void gate_back(int f, int scaled, int rows, int c, const fd_real *a, const fd_real *u,
                      const fd_real *slope, const fd_real *y, const fd_real *dy,
                      fd_real *restrict v, fd_real *restrict du, double *restrict sum,
                      fd_real *restrict part, fd_real *restrict z)
{
    int block = gate_rows(c), sums = scaled ? 2 * c : c;
    for (int r0 = 0; r0 < rows; r0 += block) {
        int m = rows - r0 < block ? rows - r0 : block;
        ptrdiff_t at = (ptrdiff_t)r0 * c, size = (ptrdiff_t)m * c;
        const fd_real *d = dy + at;
        fd_real *to = du + at;
        memset(part, 0, (size_t)sums * sizeof *part);
        if (scaled && f >= 0) {
            gate_in(1, m, c, a, u + at, z);
            if (v) map_both(f, size, z, d, v + at, to);
            else map_block(f, size, z, y + at, d, to);
            d = to;
        }
        if (scaled)
            for (const fd_real *q = u + at, *end = q + size; q < end; q += c, d += c, to += c)
                for (int j = 0; j < c; j++) {
                    part[j] += d[j] * q[j];
                    part[c + j] += d[j];
                    to[j] = d[j] * a[j];
                }
        else
            for (ptrdiff_t i = 0; i < size; i += c)
                for (int j = 0; j < c; j++) {
                    to[i + j] = f >= 0 ? d[i + j] * slope[at + i + j] : d[i + j];
                    part[j] += to[i + j];
                }
        for (int j = 0; j < sums; j++) sum[j] += (double)part[j];
    }
}
#endif

/* --- y = x w + b, or with a residual r: y = r + x w + b --- */

#ifdef FD_PLAIN
static fd_var *fuse_dense(fd_tape *t, fd_var *x, fd_var *w, fd_var *b, fd_var *r)
{
    fd_var *y = fd_add(t, fd_matmul(t, 0, 0, x, w), b);
    return r ? fd_add(t, r, y) : y;
}
#else
static void fuse_dense_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    fd_var *x = y->src[0], *w = y->src[1], *b = y->src[2], *r = y->src[3];
    if (x->needs) dx[0] = fd_matmul(t, 0, 1, dy, w);
    if (w->needs) dx[1] = fd_matmul(t, 1, 0, x, dy);
    if (b->needs) dx[2] = fd_sum_to(t, dy, 1, b->n);
    if (r && r->needs) dx[3] = dy;
}

static fd_var *fuse_dense(fd_tape *t, fd_var *x, fd_var *w, fd_var *b, fd_var *r)
{
    static const struct fd_op op = { "dense layer", fuse_dense_vjp, 0 };
    if (!x || !w || !b) return NULL;
    int n[2] = { x->n[0], w->n[1] }, k = w->n[0], c = n[1], rows = fuse_rows(k, c, n[0]);
    fd_var *y = tape_push(t, &op, 2, n, r ? 4 : 3, (fd_var *[]){ x, w, b, r });
    fd_arena scratch = *t->mem;
    fd_real *v = c <= THIN ? fd_raw(&scratch, fd_real, (ptrdiff_t)c * k) : NULL;
    job_mem *job = y ? job_fork(&scratch) : NULL;
    if (!job) return NULL;
    if (v) fuse_turn(c, k, w->x, v);
    FD_PARALLEL_IF(fd_count(x) > TAPE_BLOCK)
    for (int i = 0; i < n[0]; i += rows) {
        int m = n[0] - i < rows ? n[0] - i : rows;
        const fd_real *xi = x->x + (ptrdiff_t)i * k;
        fd_real *yi = y->x + (ptrdiff_t)i * c;
        if (r) gate_in(0, m, c, b->x, r->x + (ptrdiff_t)i * c, yi);
        for (int j = 0; j < m && !r; j++)
            memcpy(yi + (ptrdiff_t)j * c, b->x, (size_t)c * sizeof *yi);
        if (v) thin_product(m, k, c, xi, v, 1, yi);
        else fd_gemm(0, 0, m, c, k, 1.0, xi, k, w->x, c, 1.0, yi, c, job[threads_this()].mem);
    }
    job_join(job, &scratch);
    return t->mem->st->code ? NULL : y;
}
#endif

/* --- y = f(x w1 + b1) w2; of the hidden layer at most x w1 + b1 is stored --- */

#ifdef FD_PLAIN
static fd_var *fuse_mlp(fd_tape *t, fd_var *x, fd_var *w1, fd_var *b1, fd_var *w2, int f)
{
    fd_var *z = fd_add(t, fd_matmul(t, 0, 0, x, w1), b1);
    return fd_matmul(t, 0, 0, fd_map(t, z, f), w2);
}
#else
/* With up to so many inputs the hidden layer is cheaper to recompute than to load. */
enum { FUSE_NARROW = 64 };

/* the hidden layer before its activation */
static void fuse_hidden(int m, int in, int hid, const fd_real *x, const fd_real *w1,
                        const fd_real *b1, fd_real *z, fd_arena mem)
{
    fd_gemm(0, 0, m, hid, in, 1.0, x, in, w1, hid, 0.0, z, hid, mem);
    gate_in(0, m, hid, b1, z, z);
}

/* What the reverse pass works with. */
struct mlp_back {
    const fd_var *x, *w1, *b1;
    const fd_real *dy, *kept;          /* kept: x w1 + b1, or NULL */
    const fd_real *v1, *v2;            /* w1 and w2 transposed */
    fd_real *dx;                       /* NULL: not wanted */
    fd_real *g1, *gb, *g2;             /* gradients of w1, b1, w2, a sum for each part; or NULL */
    int hid, out, f, rows, blocks, parts;
};

/* The gradients of weights for rows r..r+m, added to those of part p unless this is its first
 * block. g2 is transposed where the product is thin. */
static void mlp_back_weights(const struct mlp_back *s, int p, int r, int m, int add,
                             const fd_real *a, const fd_real *dz, fd_arena mem)
{
    int in = s->w1->n[0], hid = s->hid, out = s->out;
    const fd_real *x = s->x->x + (ptrdiff_t)r * in, *dy = s->dy + (ptrdiff_t)r * out;
    fd_real *b = s->gb + (ptrdiff_t)p * hid, *g2 = s->g2 + p * (ptrdiff_t)hid * out;
    if (out <= THIN) thin_back(m, hid, out, a, s->v2, dy, NULL, g2);
    else fd_gemm(1, 0, hid, out, m, 1.0, a, hid, dy, out, add, g2, out, mem);
    fd_gemm(1, 0, in, hid, m, 1.0, x, in, dz, hid, add, s->g1 + p * (ptrdiff_t)in * hid, hid, mem);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < hid; j++) b[j] += dz[(ptrdiff_t)i * hid + j];
}

/* part p of the rows, block by block */
static void mlp_back_part(const struct mlp_back *s, int p, fd_arena mem)
{
    int in = s->w1->n[0], hid = s->hid, out = s->out, n = s->x->n[0];
    ptrdiff_t size = (ptrdiff_t)s->rows * hid;
    fd_real *room = s->kept ? NULL : fd_raw(&mem, fd_real, size), *a = fd_raw(&mem, fd_real, size);
    fd_real *da = fd_raw(&mem, fd_real, size), *dz = fd_raw(&mem, fd_real, size);
    if (!dz) return;
    int first = (int)((ptrdiff_t)s->blocks * p / s->parts);
    int end = (int)((ptrdiff_t)s->blocks * (p + 1) / s->parts);
    for (int k = first; k < end; k++) {
        int r = k * s->rows, m = n - r < s->rows ? n - r : s->rows;
        const fd_real *x = s->x->x + (ptrdiff_t)r * in, *dy = s->dy + (ptrdiff_t)r * out;
        const fd_real *z = s->kept ? s->kept + (ptrdiff_t)r * hid : room;
        if (!s->kept) fuse_hidden(m, in, hid, x, s->w1->x, s->b1->x, room, mem);
        if (out <= THIN) thin_back(m, hid, out, NULL, s->v2, dy, da, NULL);
        else fd_gemm(0, 0, m, hid, out, 1.0, dy, out, s->v2, hid, 0.0, da, hid, mem);
        map_both(s->f, (ptrdiff_t)m * hid, z, da, a, dz);
        if (s->g1) mlp_back_weights(s, p, r, m, k > first, a, dz, mem);
        if (s->dx)
            fd_gemm(0, 0, m, in, hid, 1.0, dz, hid, s->v1, in, 0.0, s->dx + (ptrdiff_t)r * in, in,
                    mem);
    }
}

static void fuse_mlp_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const fd_var *x = y->src[0], *w1 = y->src[1], *b1 = y->src[2], *w2 = y->src[3];
    int in = w1->n[0], hid = w1->n[1], out = w2->n[1], weights = w1->needs;
    int n = x->n[0], rows = fuse_rows(in, hid, n), blocks = (n + rows - 1) / rows;
    int parts = blocks < FUSE_PARTS ? blocks : FUSE_PARTS, thin = out <= THIN;
    ptrdiff_t sw1 = (ptrdiff_t)in * hid, sw2 = (ptrdiff_t)hid * out;
    fuse_gradients(t, y, dx);
    fd_arena scratch = *t->mem;
    fd_real *v = fd_raw(&scratch, fd_real, 2 * sw2), *v1 = fd_raw(&scratch, fd_real, sw1);
    struct mlp_back s = { x, w1, b1, dy->x, y->aux, v1, v, dx[0] ? dx[0]->x : NULL,
                          NULL, NULL, NULL, hid, out, y->i[0], rows, blocks, parts };
    if (weights) {
        s.g1 = fd_raw(&scratch, fd_real, parts * sw1);
        s.gb = fd_new(&scratch, fd_real, parts * (ptrdiff_t)hid);
        s.g2 = thin ? fd_new(&scratch, fd_real, parts * sw2)
                    : fd_raw(&scratch, fd_real, parts * sw2);
    }
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    fuse_turn(out, hid, w2->x, v);
    fuse_turn(hid, in, w1->x, v1);
    FD_PARALLEL_IF((ptrdiff_t)n * hid > TAPE_BLOCK)
    for (int p = 0; p < parts; p++) mlp_back_part(&s, p, job[threads_this()].mem);
    job_join(job, &scratch);
    if (!weights || scratch.st->code) return;
    sum_axis(1, parts, sw1, s.g1, dx[1]->x, scratch);
    sum_axis(1, parts, hid, s.gb, dx[2]->x, scratch);
    sum_axis(1, parts, sw2, s.g2, thin ? v + sw2 : dx[3]->x, scratch);
    if (thin) fuse_turn(hid, out, v + sw2, dx[3]->x);
}

static fd_var *fuse_mlp(fd_tape *t, fd_var *x, fd_var *w1, fd_var *b1, fd_var *w2, int f)
{
    static const struct fd_op op = { "two dense layers", fuse_mlp_vjp, 1 };
    if (!x || !w1 || !b1 || !w2) return NULL;
    int in = w1->n[0], hid = w1->n[1], out = w2->n[1], n[2] = { x->n[0], out };
    int rows = fuse_rows(in, hid, n[0]), thin = out <= THIN;
    fd_var *y = tape_push(t, &op, 2, n, 4, (fd_var *[]){ x, w1, b1, w2 });
    int keep = y && y->needs && in > FUSE_NARROW;
    fd_real *kept = keep ? fd_raw(t->mem, fd_real, (ptrdiff_t)n[0] * hid) : NULL;
    fd_arena scratch = *t->mem;
    fd_real *v = fd_raw(&scratch, fd_real, (ptrdiff_t)hid * out);
    job_mem *job = y ? job_fork(&scratch) : NULL;
    if (!job) return NULL;
    y->i[0] = f;
    y->aux = kept;
    fuse_turn(out, hid, w2->x, v);
    FD_PARALLEL_IF((ptrdiff_t)n[0] * hid > TAPE_BLOCK)
    for (int r = 0; r < n[0]; r += rows) {
        fd_arena mem = job[threads_this()].mem;
        ptrdiff_t size = (ptrdiff_t)rows * hid;
        fd_real *z = kept ? kept + (ptrdiff_t)r * hid : fd_raw(&mem, fd_real, size);
        fd_real *a = fd_raw(&mem, fd_real, size), *yr = y->x + (ptrdiff_t)r * out;
        int m = n[0] - r < rows ? n[0] - r : rows;
        if (!a) continue;
        fuse_hidden(m, in, hid, x->x + (ptrdiff_t)r * in, w1->x, b1->x, z, mem);
        map_block(f, (ptrdiff_t)m * hid, z, NULL, NULL, a);
        if (thin) thin_product(m, hid, out, a, v, 0, yr);
        else fd_gemm(0, 0, m, out, hid, 1.0, a, hid, w2->x, out, 0.0, yr, out, mem);
    }
    job_join(job, &scratch);
    return t->mem->st->code ? NULL : y;
}
#endif

/* --- y = f(scale u + shift), u = spectral(h) + h w; f < 0: without f --- [FNO eq. 2]
 *
 * ss is the shift [c], or scale and shift [b][2][c], [1][2][c] for all samples. The plain form is
 * layer_composed. The fast one takes a sample at a time and sends some whole rows of its last axis,
 * a tile, through everything that is not the transform of another axis, while they are in the
 * cache. For the reverse pass it keeps u or f', and of the spectrum the kept modes. */

#ifdef FD_PLAIN
static fd_var *fuse_layer(fd_tape *t, fd_var *h, fd_var *R, fd_var *w, fd_var *ss, int f, int axes,
                          const int lo[], const int hi[])
{
    return layer_composed(t, h, R, w, ss, f, axes, lo, hi);
}
#else
/* kept: u, or the slope f'(u + shift); tile: its points */
struct fuse_layer { struct spec s; fd_real *u, *slope; int tile, f; };

/* The reverse pass of sample i as far as the spectrum: the gates' da, du, its transform e, dw. */
static void fuse_layer_down(const struct fuse_layer *l, const struct spec_axis to[3], int i,
                            const fd_var *y, const fd_real *dy, fd_real *du, fd_real *da,
                            fd_real *e, fd_real *dw, fd_arena mem)
{
    const struct spec *s = &l->s;
    const fd_var *h = y->src[0], *ss = y->src[2];
    int ci = s->ci, co = s->co, scaled = ss->nd > 1, sums = scaled ? 2 * co : co;
    int points = (int)s->points;
    double *sum = fd_new(&mem, double, sums);
    fd_real *part = fd_raw(&mem, fd_real, sums);
    fd_real *z = fd_raw(&mem, fd_real, (ptrdiff_t)gate_rows(co) * co);
    struct spec_work work = spec_room(s, co, to, &mem);
    if (!z || !work.tmp) return;
    for (int p = 0, m, n = s->n[s->nd - 1]; p < points; p += m) {
        m = points - p < l->tile ? points - p : l->tile;
        ptrdiff_t at = (i * s->points + p) * co, from = (i * s->points + p) * ci;
        gate_back(l->f, scaled, m, co, ss->x + (ptrdiff_t)i * fuse_gate(ss),
                  scaled ? l->u + at : NULL, l->slope ? l->slope + at : NULL, y->x + at, dy + at,
                  NULL, du + at, sum, part, z);
        spec_to_rows(s, to, co, p / n, (p + m) / n, du + at, work, mem);
        if (dw)
            fd_gemm(1, 0, ci, co, m, 1.0, h->x + from, ci, du + at, co, p > 0, dw, co, mem);
    }
    for (int j = 0; j < sums; j++) da[j] = (fd_real)sum[j];
    spec_to_end(s, to, co, 1, i, work, e, mem);
}

static void fuse_layer_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const struct fuse_layer *l = y->aux;
    const struct spec *s = &l->s;
    fd_var *h = y->src[0], *w = y->src[1], *ss = y->src[2], *R = y->src[3];
    int ci = s->ci, co = s->co, b = s->b, sums = ss->nd > 1 ? 2 * co : co, each = fuse_gate(ss);
    ptrdiff_t sw = (ptrdiff_t)ci * co;
    fuse_gradients(t, y, dx);
    struct spec_axis to[3], from[3];
    fd_arena scratch = *t->mem;
    spec_axes(s, 0, to, &scratch);
    spec_axes(s, 1, from, &scratch);
    fd_real *du = fd_raw(&scratch, fd_real, b * s->points * co);
    fd_real *dw = w->needs ? fd_raw(&scratch, fd_real, b * sw) : NULL;
    fd_real *da = fd_raw(&scratch, fd_real, (ptrdiff_t)b * sums);
    fd_real *e = fd_raw(&scratch, fd_real, s->modes * 4 * b * co);
    fd_arena rest = scratch;
    job_mem *job = job_fork(&rest);
    if (!job) return;
    FD_PARALLEL_IF(SPEC_WIDE(s, co))
    for (int i = 0; i < b; i++)
        fuse_layer_down(l, to, i, y, dy->x, du, da + (ptrdiff_t)i * sums, e,
                        dw ? dw + i * sw : NULL, job[threads_this()].mem);
    job_join(job, &rest);
    if (ss->needs)
        sum_axis(1, each ? 1 : b, each ? (ptrdiff_t)b * sums : sums, da, dx[2]->x, scratch);
    if (dw) sum_axis(1, b, sw, dw, dx[1]->x, scratch);
    if (R->needs) spec_mul_gradient(s, s->hat[0], e, dx[3]->x, scratch);
    fd_real *q = h->needs ? spec_mul_adjoint(s, e, R->x, &scratch) : NULL;
    job = q ? job_fork(&scratch) : NULL;
    if (!job) return;
    FD_PARALLEL_IF(SPEC_WIDE(s, ci))
    for (int i = 0; i < b; i++) {
        fd_arena mem = job[threads_this()].mem;
        struct spec_work work = spec_from_begin(s, from, ci, 0, i, q, &mem);
        int n = s->n[s->nd - 1], points = (int)s->points;
        for (int p = 0, m; p < points && work.tmp; p += m) {
            m = points - p < l->tile ? points - p : l->tile;
            fd_real *d = dx[0]->x + (i * s->points + p) * ci;
            spec_from_rows(s, from, ci, p / n, (p + m) / n, work, d, mem);
            fd_gemm(0, 1, m, ci, co, 1.0, du + (i * s->points + p) * co, co, w->x, co, 1.0, d, ci,
                    mem);
        }
    }
    job_join(job, &scratch);
}

/* Sample i, a tile at a time. q are the modes after the product with R. */
static void fuse_layer_up(const struct fuse_layer *l, const struct spec_axis from[3], int i,
                          const fd_var *h, const fd_var *w, const fd_var *ss, const fd_real *q,
                          fd_real *y, fd_arena mem)
{
    const struct spec *s = &l->s;
    int ci = s->ci, co = s->co, points = (int)s->points, line = s->n[s->nd - 1];
    fd_real *room = l->u ? l->u : fd_raw(&mem, fd_real, (ptrdiff_t)l->tile * co);
    fd_real *z = fd_raw(&mem, fd_real, (ptrdiff_t)gate_rows(co) * co);
    struct spec_work work = spec_from_begin(s, from, co, 1, i, q, &mem);
    if (!room || !z || !work.tmp) return;
    for (int r = 0, m; r < points; r += m) {
        m = points - r < l->tile ? points - r : l->tile;
        ptrdiff_t at = (i * s->points + r) * co;
        fd_real *u = l->u ? l->u + at : room;
        spec_from_rows(s, from, co, r / line, (r + m) / line, work, u, mem);
        fd_gemm(0, 0, m, co, ci, 1.0, h->x + (i * s->points + r) * ci, ci, w->x, co, 1.0, u, co,
                mem);
        gate_run(l->f, ss->nd > 1, m, co, ss->x + (ptrdiff_t)i * fuse_gate(ss), u, y + at,
                 l->slope ? l->slope + at : NULL, z);
    }
}

static fd_var *fuse_layer(fd_tape *t, fd_var *h, fd_var *R, fd_var *w, fd_var *ss, int f, int axes,
                          const int lo[], const int hi[])
{
    static const struct fd_op op = { "spectral layer", fuse_layer_vjp, 1 };
    struct spec shape;
    if (!h || !R || !w || !ss) return NULL;
    if (!spec_check(t->mem->st, &shape, h, R, axes, lo, hi)) return NULL;
    int n[FD_MAXD], ci = shape.ci, co = shape.co, b = shape.b, points = (int)shape.points;
    int scaled = ss->nd > 1, tile = fuse_rows(ci, co, points), line = shape.n[shape.nd - 1];
    memcpy(n, h->n, sizeof n);
    n[h->nd - 1] = co;
    struct fuse_layer *own = fd_new(t->mem, struct fuse_layer, 1);
    fd_var *y = own ? tape_push(t, &op, h->nd, n, 4, (fd_var *[]){ h, w, ss, R }) : NULL;
    if (!y) return NULL;
    own->s = shape;
    own->f = f;
    if (y->needs && scaled) own->u = fd_raw(t->mem, fd_real, b * shape.points * co);
    else if (y->needs && f >= 0) own->slope = fd_raw(t->mem, fd_real, b * shape.points * co);
    own->tile = tile = tile < line ? line : tile / line * line;
    y->aux = own;
    struct spec_axis from[3];
    fd_arena scratch = *t->mem;
    const fd_real *p = spec_hat(t, &shape, 0, h, NULL, y->needs && R->needs, &scratch);
    own->s.hat[0] = p;
    spec_axes(&shape, 1, from, &scratch);
    fd_real *q = spec_mul(&shape, p, R->x, &scratch);
    job_mem *job = job_fork(&scratch);
    if (!job) return NULL;
    FD_PARALLEL_IF(SPEC_WIDE(&shape, co))
    for (int i = 0; i < b; i++)
        fuse_layer_up(own, from, i, h, w, ss, q, y->x, job[threads_this()].mem);
    job_join(job, &scratch);
    return t->mem->st->code ? NULL : y;
}
#endif

/* --- Layers of sines h' = sin(scale h w + shift) and a last one without, y = h w ---
 *
 * [SIREN; functa; FDP] x is [b][points][in]; ws has w [in][width], [width][width].. of all layers
 * but the last, one after the other; ss [b][2 layers][width], or [1].. for all samples, has scale
 * and shift of each; the last w is [width][out].
 *
 * In the fast form a tile of points goes through all layers while it is in the cache. Of a layer
 * u = h w is kept for the reverse pass, which computes h' = sin z, z = scale u + shift, and
 * dz = dh' cos z in one evaluation. With '' for the layer above:
 *
 *   dh' = du'' w''^T      dw'' = h'^T du''      dz = dh' cos z
 *   dscale = sum dz u     dshift = sum dz       du = scale dz */

#ifdef FD_PLAIN
static fd_var *fuse_waves(fd_tape *t, fd_var *x, fd_var *ws, fd_var *ss, fd_var *last)
{
    fd_var *h = x;
    for (int l = 0, from = 0; h && ss && l < ss->n[1] / 2; l++) {
        const int n = h->n[2], width = ss->n[2];
        fd_var *w = fd_slice(t, ws, 0, from, n * width);
        fd_var *u = fd_matmul(t, 0, 0, h, fd_reshape(t, w, 2, (int[]){ n, width }));
        u = fd_mul(t, fd_slice(t, ss, 1, 2 * l, 1), u);
        h = fd_map(t, fd_add(t, u, fd_slice(t, ss, 1, 2 * l + 1, 1)), FD_SIN);
        from += n * width;
    }
    return ss ? fd_matmul(t, 0, 0, h, last) : NULL;
}
#else
/* kept: u [b][points][layers][width], in tiles */
struct fuse_waves { int tile, layers; fd_real *u; };

/* where the weights of layer l begin in ws, or, for the last layer, where ws ends */
static const fd_real *waves_weight(const fd_var *y, int l)
{
    const ptrdiff_t in = y->src[0]->n[2], w = y->src[2]->n[2];
    return y->src[1]->x + (l ? (in + (l - 1) * w) * w : 0);
}

/* what the reverse pass of a part of the samples works with */
struct waves_back {
    const fd_real *v;                  /* the last w transposed */
    fd_real *dx, *dws, *dlast;         /* sums of the gradients of weights; each may be NULL */
    fd_real *tile, *part, *z;          /* room: four tiles, and what gate_back needs */
    double *sum;                       /* the gradients of the gates of a sample */
    int add;                           /* 1: dws and dlast hold something already */
};

/* points r..r+m of sample i */
static void waves_back(struct waves_back *s, const fd_var *y, const fd_real *dy, int i, int r,
                       int m, fd_arena mem)
{
    const struct fuse_waves *own = y->aux;
    const fd_var *x = y->src[0], *ss = y->src[2], *last = y->src[3];
    const int in = x->n[2], w = ss->n[2], out = last->n[1], L = own->layers, thin = out <= THIN;
    const ptrdiff_t size = (ptrdiff_t)own->tile * w, gates = 2 * (ptrdiff_t)w;
    const ptrdiff_t at = (ptrdiff_t)i * x->n[1] + r;
    const fd_real *u = own->u + at * L * w, *gate = ss->x + (ptrdiff_t)i * fuse_gate(ss);
    fd_real *du = s->tile, *dh = s->tile + size, *h = s->tile + 2 * size, *dz = s->tile + 3 * size;
    dy += at * out;
    for (int l = L - 1; l >= 0; l--) {
        const fd_real *const weight = waves_weight(y, l + 1);
        if (l + 1 < L) fd_gemm(0, 1, m, w, w, 1.0, du, w, weight, w, 0.0, dh, w, mem);
        else if (thin) thin_back(m, w, out, NULL, s->v, dy, dh, NULL);
        else           fd_gemm(0, 0, m, w, out, 1.0, dy, out, s->v, w, 0.0, dh, w, mem);
        gate_back(FD_SIN, 1, m, w, gate + l * gates, u + (ptrdiff_t)l * m * w, NULL, NULL, dh, h,
                  dz, s->sum + l * gates, s->part, s->z);
        if (l + 1 < L && s->dws)
            fd_gemm(1, 0, w, w, m, 1.0, h, w, du, w, s->add, s->dws + (weight - y->src[1]->x), w,
                    mem);
        if (l + 1 == L && s->dlast) {
            if (thin) thin_back(m, w, out, h, s->v, dy, NULL, s->dlast);
            else      fd_gemm(1, 0, w, out, m, 1.0, h, w, dy, out, s->add, s->dlast, out, mem);
        }
        fd_real *const old = du;
        du = dz;
        dz = old;
    }
    if (s->dws) fd_gemm(1, 0, in, w, m, 1.0, x->x + at * in, in, du, w, s->add, s->dws, w, mem);
    if (s->dx)
        fd_gemm(0, 1, m, in, w, 1.0, du, w, waves_weight(y, 0), w, 0.0, s->dx + at * in, in, mem);
    s->add = 1;
}

static void fuse_waves_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const struct fuse_waves *own = y->aux;
    const fd_var *x = y->src[0], *ws = y->src[1], *ss = y->src[2], *last = y->src[3];
    const int b = x->n[0], points = x->n[1], w = ss->n[2], out = last->n[1], tile = own->tile;
    const int thin = out <= THIN, parts = b < FUSE_PARTS ? b : FUSE_PARTS;
    const ptrdiff_t sw = fd_count(ws), sl = fd_count(last), sums = (ptrdiff_t)2 * own->layers * w;
    fuse_gradients(t, y, dx);
    if (t->mem->st->code) return;
    fd_arena scratch = *t->mem;
    fd_real *v = fd_raw(&scratch, fd_real, 2 * sl), *da = fd_raw(&scratch, fd_real, b * sums);
    fd_real *dws = dx[1] ? fd_raw(&scratch, fd_real, parts * sw) : NULL;
    fd_real *dlast = dx[3] ? fd_new(&scratch, fd_real, parts * sl) : NULL;
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    fuse_turn(out, w, last->x, v);
    FD_PARALLEL_IF((ptrdiff_t)b * points * w > TAPE_BLOCK)
    for (int p = 0; p < parts; p++) {
        fd_arena mem = job[threads_this()].mem;
        struct waves_back s = { v, dx[0] ? dx[0]->x : NULL, dws ? dws + p * sw : NULL,
                                dlast ? dlast + p * sl : NULL, NULL, NULL, NULL, NULL, 0 };
        s.tile = fd_raw(&mem, fd_real, (ptrdiff_t)4 * tile * w);
        s.part = fd_raw(&mem, fd_real, 2 * w);
        s.z = fd_raw(&mem, fd_real, (ptrdiff_t)gate_rows(w) * w);
        s.sum = fd_raw(&mem, double, sums);
        if (!s.sum) continue;
        int first = (int)((ptrdiff_t)b * p / parts), end = (int)((ptrdiff_t)b * (p + 1) / parts);
        for (int i = first; i < end; i++) {
            memset(s.sum, 0, (size_t)sums * sizeof *s.sum);
            for (int r = 0; r < points; r += tile)
                waves_back(&s, y, dy->x, i, r, points - r < tile ? points - r : tile, mem);
            for (ptrdiff_t j = 0; j < sums; j++) da[i * sums + j] = (fd_real)s.sum[j];
        }
    }
    job_join(job, &scratch);
    if (scratch.st->code) return;
    if (dx[2] && fuse_gate(ss)) sum_axis(1, 1, b * sums, da, dx[2]->x, scratch);
    else if (dx[2])             sum_axis(1, b, sums, da, dx[2]->x, scratch);
    if (dx[1]) sum_axis(1, parts, sw, dws, dx[1]->x, scratch);
    if (dx[3]) sum_axis(1, parts, sl, dlast, thin ? v + sl : dx[3]->x, scratch);
    if (dx[3] && thin) fuse_turn(w, out, v + sl, dx[3]->x);
}

static fd_var *fuse_waves(fd_tape *t, fd_var *x, fd_var *ws, fd_var *ss, fd_var *last)
{
    static const struct fd_op op = { "layers of sines", fuse_waves_vjp, 1 };
    if (!ws || !ss) return NULL;
    const int b = x->n[0], points = x->n[1], in = x->n[2], w = ss->n[2], out = last->n[1];
    const int L = ss->n[1] / 2, thin = out <= THIN;
    const int tile = fuse_rows(w, 4 * w, points), tiles = (points + tile - 1) / tile;
    struct fuse_waves *own = fd_new(t->mem, struct fuse_waves, 1);
    fd_var *y = own ? tape_push(t, &op, 3, (int[]){ b, points, out }, 4,
                                (fd_var *[]){ x, ws, ss, last }) : NULL;
    if (!y) return NULL;
    own->tile = tile;
    own->layers = L;
    own->u = y->needs ? fd_raw(t->mem, fd_real, (ptrdiff_t)b * points * L * w) : NULL;
    y->aux = own;
    fd_arena scratch = *t->mem;
    fd_real *v = fd_raw(&scratch, fd_real, (ptrdiff_t)w * out);
    job_mem *job = job_fork(&scratch);
    if (!job) return NULL;
    fuse_turn(out, w, last->x, v);
    FD_PARALLEL_IF((ptrdiff_t)b * points * w > TAPE_BLOCK)
    for (int k = 0; k < b * tiles; k++) {
        fd_arena mem = job[threads_this()].mem;
        const int i = k / tiles, r = k % tiles * tile, m = points - r < tile ? points - r : tile;
        const ptrdiff_t at = (ptrdiff_t)i * points + r;
        const fd_real *h = x->x + at * in, *weight = ws->x;
        const fd_real *gate = ss->x + (ptrdiff_t)i * fuse_gate(ss);
        fd_real *u = own->u ? own->u + at * L * w : fd_raw(&mem, fd_real, (ptrdiff_t)tile * w);
        fd_real *to = fd_raw(&mem, fd_real, (ptrdiff_t)tile * w);
        fd_real *z = fd_raw(&mem, fd_real, (ptrdiff_t)gate_rows(w) * w);
        if (!u || !to || !z) continue;
        for (int l = 0, n = in; l < L; l++, gate += 2 * w) {
            fd_gemm(0, 0, m, w, n, 1.0, h, n, weight, w, 0.0, u, w, mem);
            gate_run(FD_SIN, 1, m, w, gate, u, to, NULL, z);
            if (own->u) u += (ptrdiff_t)m * w;
            weight += (ptrdiff_t)n * w;
            n = w;
            h = to;
        }
        if (thin) thin_product(m, w, out, h, v, 0, y->x + at * out);
        else fd_gemm(0, 0, m, out, w, 1.0, h, w, last->x, out, 0.0, y->x + at * out, out, mem);
    }
    job_join(job, &scratch);
    return t->mem->st->code ? NULL : y;
}
#endif

/* ---- Rows ---------------------------------------------------------------------------------------
 *
 * Long rows are added in SUM_LANES running sums, whatever the width of a vector. */

#ifndef FD_PLAIN
/* The sum of (x_i - c)(y_i - c), or of x_i - c where y is NULL: 256 terms at a time in fd_real, and
 * what these give in double. */
FD_INLINE double row_dot(int n, const fd_real *x, const fd_real *y, fd_real c)
{
    enum { PART = 16 * SUM_LANES, V = SUM_LANES / FD_W };
    double sum = 0;
    for (int i = 0, end; i < n; i = end) {
        fd_vec v[V];
        fd_real s[SUM_LANES];
        int j = i;
        end = n - i < PART ? n : i + PART;
        memset(v, 0, sizeof v);
        for (; j + SUM_LANES <= end; j += SUM_LANES)
            for (int k = 0; k < V; k++) {
                const fd_vec d = vload(x + j + k * FD_W) - c;
                v[k] += y ? d * (vload(y + j + k * FD_W) - c) : d;
            }
        memcpy(s, v, sizeof s);
        for (int l = 0; j + l < end; l++)
            s[l] += y ? (x[j + l] - c) * (y[j + l] - c) : x[j + l] - c;
        for (int h = SUM_LANES / 2; h; h /= 2)
            for (int l = 0; l < h; l++) s[l] += s[l + h];
        sum += (double)s[0];
    }
    return sum;
}

/* how far apart rows of n numbers lie, a multiple of SUM_LANES */
static int row_ld(int n) { return (n + SUM_LANES - 1) / SUM_LANES * SUM_LANES; }

/* the largest lane */
FD_INLINE fd_real row_top(const fd_vec v[SUM_LANES / FD_W])
{
    fd_real s[SUM_LANES];
    memcpy(s, v, sizeof s);
    for (int h = SUM_LANES / 2; h >= 4; h /= 2)
        for (int l = 0; l < h; l++) { const fd_real a = s[l], b = s[l + h]; s[l] = a < b ? b : a; }
    const fd_real a = s[0] < s[1] ? s[1] : s[0], b = s[2] < s[3] ? s[3] : s[2];
    return a < b ? b : a;
}
#endif

/* --- Softmax of rows [rows][n]: y = exp(x - max x) / sum of these --- */

#ifdef FD_PLAIN
static void softmax_run(ptrdiff_t rows, int n, const fd_real *x, fd_real *y, fd_arena scratch)
{
    (void)scratch;
    for (ptrdiff_t r = 0; r < rows; r++, x += n, y += n) {
        double top = (double)x[0], sum = 0;
        for (int i = 1; i < n; i++) top = (double)x[i] > top ? (double)x[i] : top;
        for (int i = 0; i < n; i++) {
            y[i] = (fd_real)exp((double)x[i] - top);
            sum += (double)y[i];
        }
        for (int i = 0; i < n; i++) y[i] *= (fd_real)(1 / sum);
    }
}
#else
/* p = softmax(z) for some rows of n numbers, row_ld apart; z is used up. From n on p is about
 * exp(-80), which sums of at least 1 do not see: 0 would take the slow way of subnormal numbers.
 * The maximum of each row and 1 over its sum go to `stats` or, with `known`, come from there. */
static void row_softmax(int rows, int n, fd_real *z, fd_real *p, fd_real *stats, int known)
{
    enum { V = SUM_LANES / FD_W };
    const int ld = row_ld(n), last = ld - SUM_LANES;
    const fd_vec zero = { 0 };
    fd_real lane[SUM_LANES];
    fd_lanes in[V];                                         /* of the last lanes: before n */
    for (int l = 0; l < SUM_LANES; l++) lane[l] = (fd_real)l;
    for (int k = 0; k < V; k++) in[k] = vmask(vload(lane + k * FD_W) < zero + (fd_real)(n - last));
    for (int r = 0; r < rows; r++) {
        fd_real *const zr = z + (ptrdiff_t)r * ld;
        fd_vec end[V], v[V];
        for (int k = 0; k < V; k++) end[k] = vload(zr + last + k * FD_W);
        if (!known) {
            for (int k = 0; k < V; k++) v[k] = vselect(in[k], end[k], zero - (fd_real)INFINITY);
            for (int i = 0; i < last; i += SUM_LANES)
                for (int k = 0; k < V; k++) v[k] = vmax(v[k], vload(zr + i + k * FD_W));
            stats[2 * r] = row_top(v);
        }
        const fd_real top = stats[2 * r];
        for (int i = 0; i < last; i += FD_W) vstore(zr + i, vload(zr + i) - top);
        for (int k = 0; k < V; k++)
            vstore(zr + last + k * FD_W, vselect(in[k], end[k] - top, zero - 80));
    }
    map_block(FD_EXP, (ptrdiff_t)rows * ld, z, NULL, NULL, p);
    for (int r = 0; r < rows; r++) {
        fd_real *const pr = p + (ptrdiff_t)r * ld;
        if (!known) stats[2 * r + 1] = (fd_real)(1 / row_dot(ld, pr, NULL, 0));
        const fd_real scale = stats[2 * r + 1];
        for (int i = 0; i < ld; i += FD_W) vstore(pr + i, vload(pr + i) * scale);
    }
}

static void softmax_run(ptrdiff_t rows, int n, const fd_real *x, fd_real *y, fd_arena scratch)
{
    int ld = row_ld(n);
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    FD_PARALLEL_IF(rows > 1 && rows * n > TAPE_BLOCK)
    for (ptrdiff_t r = 0; r < rows; r++) {
        fd_arena mem = job[threads_this()].mem;
        fd_real *z = fd_new(&mem, fd_real, ld), *p = fd_raw(&mem, fd_real, ld), stats[2];
        if (!p) continue;
        memcpy(z, x + r * n, (size_t)n * sizeof *z);
        row_softmax(1, n, z, p, stats, 0);
        memcpy(y + r * n, p, (size_t)n * sizeof *p);
    }
    job_join(job, &scratch);
}
#endif

/* --- Layer normalisation of rows [rows][c] ---
 *
 *     y = gain z + bias,   z = (x - mean) r,   r = 1/sqrt(var + eps)
 *
 * and its reverse, with g = gain dy: dx = r (g - mean g - z mean(g z)) and, over the rows,
 * dgain = sum z dy and dbias = sum dy. */

#ifdef FD_PLAIN
/* the mean of a row; *r = 1/sqrt(var + eps) */
static fd_real norm_mean(int c, double eps, const fd_real *x, fd_real *r)
{
    double mean = 0, var = 0;
    for (int j = 0; j < c; j++) mean += (double)x[j] / c;
    for (int j = 0; j < c; j++) var += ((double)x[j] - mean) * ((double)x[j] - mean) / c;
    *r = (fd_real)(1 / sqrt(var + eps));
    return (fd_real)mean;
}

static void norm_run(ptrdiff_t rows, int c, double eps, const fd_real *x, const fd_real *gain,
                     const fd_real *bias, fd_real *y)
{
    for (ptrdiff_t i = 0; i < rows; i++, x += c, y += c) {
        fd_real r, mean = norm_mean(c, eps, x, &r);
        for (int j = 0; j < c; j++) y[j] = (x[j] - mean) * r * gain[j] + bias[j];
    }
}

static void norm_back(ptrdiff_t rows, int c, double eps, const fd_real *x, const fd_real *gain,
                      const fd_real *dy, fd_real *dx, fd_real *dgain, fd_real *dbias,
                      fd_arena scratch)
{
    double *sg = fd_new(&scratch, double, c), *sb = fd_new(&scratch, double, c);
    for (ptrdiff_t i = 0; i < rows && sb; i++, x += c, dy += c, dx += c) {
        fd_real r, mean = norm_mean(c, eps, x, &r);
        double g = 0, gz = 0;
        for (int j = 0; j < c; j++) {
            fd_real z = (x[j] - mean) * r;
            g += (double)(gain[j] * dy[j]) / c;
            gz += (double)(gain[j] * dy[j] * z) / c;
            sg[j] += (double)(z * dy[j]);
            sb[j] += (double)dy[j];
        }
        for (int j = 0; j < c; j++)
            dx[j] = r * (gain[j] * dy[j] - (fd_real)g - (x[j] - mean) * r * (fd_real)gz);
    }
    for (int j = 0; j < c && sb; j++) {
        dgain[j] = (fd_real)sg[j];
        dbias[j] = (fd_real)sb[j];
    }
}
#else
enum { NORM_ROWS = 32 };                              /* the rows of a block are added in fd_real */

/* The mean and r of up to NORM_ROWS rows. The sums over lanes and the roots take long for one row
 * alone, so they are done for all of them side by side. */
static void norm_stats(int rows, int c, const fd_real *x, double eps, fd_real *mean, fd_real *r)
{
    double var[NORM_ROWS];
    for (int i = 0; i < rows; i++)
        mean[i] = (fd_real)(row_dot(c, x + (ptrdiff_t)i * c, NULL, 0) / c);
    for (int i = 0; i < rows; i++) {
        const fd_real *xi = x + (ptrdiff_t)i * c;
        var[i] = row_dot(c, xi, xi, mean[i]) / c + eps;
    }
    for (int i = 0; i < rows; i++) r[i] = (fd_real)(1 / sqrt(var[i]));
}

static void norm_row(int c, const fd_real *x, fd_real mean, fd_real r, const fd_real *gain,
                     const fd_real *bias, fd_real *restrict y)
{
    for (int j = 0; j < c; j++) y[j] = (x[j] - mean) * r * gain[j] + bias[j];
}

static void norm_run(ptrdiff_t rows, int c, double eps, const fd_real *x, const fd_real *gain,
                     const fd_real *bias, fd_real *y)
{
    ptrdiff_t blocks = (rows + NORM_ROWS - 1) / NORM_ROWS;
    FD_PARALLEL_IF(rows * c > TAPE_BLOCK)
    for (ptrdiff_t k = 0; k < blocks; k++) {
        fd_real mean[NORM_ROWS], r[NORM_ROWS];
        ptrdiff_t from = k * NORM_ROWS;
        int some = rows - from < NORM_ROWS ? (int)(rows - from) : NORM_ROWS;
        norm_stats(some, c, x + from * c, eps, mean, r);
        for (int i = 0; i < some; i++)
            norm_row(c, x + (from + i) * c, mean[i], r[i], gain, bias, y + (from + i) * c);
    }
}

/* dx of a row. z dy and dy are added to sg and sb; z and g are scratch. */
static void norm_row_vjp(int c, const fd_real *x, fd_real mean, fd_real r, const fd_real *gain,
                         const fd_real *dy, fd_real *restrict dx, fd_real *restrict sg,
                         fd_real *restrict sb, fd_real *restrict z, fd_real *restrict g)
{
    const double by = 1.0 / c;
    for (int j = 0; j < c; j++) {
        z[j] = (x[j] - mean) * r;
        g[j] = dy[j] * gain[j];
        sg[j] += z[j] * dy[j];
        sb[j] += dy[j];
    }
    const fd_real m = (fd_real)(by * row_dot(c, g, NULL, 0));
    const fd_real q = (fd_real)(by * row_dot(c, g, z, 0));
    for (int j = 0; j < c; j++) dx[j] = r * (g[j] - m - z[j] * q);
}

static void norm_back(ptrdiff_t rows, int c, double eps, const fd_real *x, const fd_real *gain,
                      const fd_real *dy, fd_real *dx, fd_real *dgain, fd_real *dbias,
                      fd_arena scratch)
{
    ptrdiff_t blocks = (rows + NORM_ROWS - 1) / NORM_ROWS;
    fd_real *sums = fd_new(&scratch, fd_real, 2 * blocks * c);   /* z dy, and dy, of each block */
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    FD_PARALLEL_IF(rows * c > TAPE_BLOCK)
    for (ptrdiff_t k = 0; k < blocks; k++) {
        fd_arena mem = job[threads_this()].mem;
        fd_real mean[NORM_ROWS], unit[NORM_ROWS];
        fd_real *z = fd_raw(&mem, fd_real, 2 * c), *sg = sums + k * c, *sb = sg + blocks * c;
        ptrdiff_t from = k * NORM_ROWS;
        int some = rows - from < NORM_ROWS ? (int)(rows - from) : NORM_ROWS;
        if (!z) continue;
        norm_stats(some, c, x + from * c, eps, mean, unit);
        for (int i = 0; i < some; i++) {
            ptrdiff_t at = (from + i) * c;
            norm_row_vjp(c, x + at, mean[i], unit[i], gain, dy + at, dx + at, sg, sb, z, z + c);
        }
    }
    job_join(job, &scratch);
    if (scratch.st->code) return;
    sum_axis(1, blocks, c, sums, dgain, scratch);
    sum_axis(1, blocks, c, sums + blocks * c, dbias, scratch);
}
#endif

/* ---- Attention, head by head --------------------------------------------------------------------
 *
 *     y = P v,   P = softmax(s q k^T),   s = 1/sqrt(width of a head)
 *
 * [Attention; Thesis eqs. 3.77, 3.78], and in reverse
 *
 *     dv = P^T dy,   dP = dy v^T,   dS = P (dP - row sums of P dP),   dq = s dS k,   dk = s dS^T q
 *
 * q [b][n][d], k [b][m][d], v and y [b][n][e], where a head has d/heads and e/heads columns. The
 * plain form is attend_composed, which has all of P in memory. The fused one has a block of its
 * rows in the cache; the reverse pass computes them again with the maxima and sums that were
 * kept. */

#ifdef FD_PLAIN
static fd_var *fuse_attention(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads)
{
    return attend_composed(t, q, k, v, heads);
}

static fd_var *fuse_attend(fd_tape *t, fd_var *x, int heads)
{
    int e = x ? x->n[2] / 3 : 0;
    fd_var *q = fd_slice(t, x, 2, 0, e), *k = fd_slice(t, x, 2, e, e);
    fd_var *v = fd_slice(t, x, 2, 2 * e, e);
    return v ? attend_composed(t, q, k, v, heads) : NULL;
}
#else
/* A head has width w in q and k, and u in v; tokens lie ldq and ldv apart. */
struct attend {
    int b, n, m, heads, w, u, ldq, ldv;
    const fd_real *q, *k, *v;
    fd_real *stats;                   /* [b][heads][n][2], see row_softmax; NULL: not kept */
};

/* rows of P that are in the cache at a time */
static int attend_rows(int m)
{
    int rows = 65536 / m;
    return rows < 16 ? 16 : rows > 128 ? 128 : rows;
}

/* where sample and head j begin among tokens [b][n] that lie ld apart, with heads of width w */
static ptrdiff_t attend_at(const struct attend *s, ptrdiff_t j, int n, int ld, int w)
{
    return j / s->heads * n * ld + j % s->heads * w;
}

/* Rows r.. of P for sample and head j; z has as much room as p. */
static void attend_block(const struct attend *s, ptrdiff_t j, int r, int rows, fd_real *z,
                         fd_real *p, fd_real *stats, int known, fd_arena mem)
{
    fd_gemm(0, 1, rows, s->m, s->w, 1 / sqrt((double)s->w),
            s->q + attend_at(s, j, s->n, s->ldq, s->w) + (ptrdiff_t)r * s->ldq, s->ldq,
            s->k + attend_at(s, j, s->m, s->ldq, s->w), s->ldq, 0.0, z, row_ld(s->m), mem);
    row_softmax(rows, s->m, z, p, stats, known);
}

static void attend_run(const struct attend *s, fd_real *y, fd_arena scratch)
{
    int block = attend_rows(s->m), blocks = (s->n + block - 1) / block, ld = row_ld(s->m);
    int e = s->heads * s->u;
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    FD_PARALLEL_IF((double)s->n * s->m * s->b * s->heads > TAPE_BLOCK)
    for (ptrdiff_t i = 0; i < (ptrdiff_t)s->b * s->heads * blocks; i++) {
        fd_arena mem = job[threads_this()].mem;
        fd_real *p = fd_raw(&mem, fd_real, (ptrdiff_t)block * ld);
        fd_real *z = fd_raw(&mem, fd_real, (ptrdiff_t)block * ld);
        fd_real *stats = s->stats ? s->stats : fd_raw(&mem, fd_real, 2 * block);
        int r = (int)(i % blocks) * block, rows = s->n - r < block ? s->n - r : block;
        ptrdiff_t j = i / blocks;
        if (!z || !stats) continue;
        attend_block(s, j, r, rows, z, p, s->stats ? stats + 2 * (j * s->n + r) : stats, 0, mem);
        fd_gemm(0, 0, rows, s->u, s->m, 1.0, p, ld, s->v + attend_at(s, j, s->m, s->ldv, s->u),
                s->ldv, 0.0, y + attend_at(s, j, s->n, e, s->u) + (ptrdiff_t)r * e, e, mem);
    }
    job_join(job, &scratch);
}

/* There is one source where q, k, v lie side by side in every token. */
static void op_attention_vjp(fd_tape *t, fd_var *y, fd_var *dy, fd_var *dx[4])
{
    const struct attend *s = y->aux;
    int block = attend_rows(s->m), ld = row_ld(s->m), e = s->heads * s->u, one = !y->src[1];
    fd_real *to[3];
    for (int i = 0; i < 3; i++) {
        if (!i || !one) dx[i] = tape_push(t, NULL, 3, y->src[i]->n, 0, NULL);
        if (!dx[one ? 0 : i]) return;
        to[i] = one ? dx[0]->x + (ptrdiff_t)i * e : dx[i]->x;
    }
    fd_arena scratch = *t->mem;
    job_mem *job = job_fork(&scratch);
    if (!job) return;
    FD_PARALLEL_IF(s->b * s->heads > 1 && (double)s->n * s->m * s->b * s->heads > TAPE_BLOCK)
    for (int j = 0; j < s->b * s->heads; j++) {
        fd_arena mem = job[threads_this()].mem;
        ptrdiff_t size = (ptrdiff_t)block * ld;
        fd_real *p = fd_raw(&mem, fd_real, size), *z = fd_raw(&mem, fd_real, size), *dp = z;
        ptrdiff_t at = attend_at(s, j, s->n, s->ldq, s->w);
        ptrdiff_t ak = attend_at(s, j, s->m, s->ldq, s->w);
        ptrdiff_t ay = attend_at(s, j, s->n, e, s->u), av = attend_at(s, j, s->m, s->ldv, s->u);
        double scale = 1 / sqrt((double)s->w);
        for (int r = 0; r < s->n && p && z; r += block) {
            int rows = s->n - r < block ? s->n - r : block;
            const fd_real *qr = s->q + at + (ptrdiff_t)r * s->ldq;
            const fd_real *dr = dy->x + ay + (ptrdiff_t)r * e;
            attend_block(s, j, r, rows, z, p, s->stats + 2 * ((ptrdiff_t)j * s->n + r), 1, mem);
            fd_gemm(1, 0, s->m, s->u, rows, 1.0, p, ld, dr, e, r > 0, to[2] + av, s->ldv, mem);
            fd_gemm(0, 1, rows, s->m, s->u, 1.0, dr, e, s->v + av, s->ldv, 0.0, dp, ld, mem);
            for (int i = 0; i < rows; i++) {
                fd_real *pi = p + (ptrdiff_t)i * ld, *di = dp + (ptrdiff_t)i * ld;
                fd_real sum = (fd_real)row_dot(s->m, pi, di, 0);
                for (int l = 0; l < s->m; l++) di[l] = pi[l] * (di[l] - sum);
            }
            fd_gemm(0, 0, rows, s->w, s->m, scale, dp, ld, s->k + ak, s->ldq, 0.0,
                    to[0] + at + (ptrdiff_t)r * s->ldq, s->ldq, mem);
            fd_gemm(1, 0, s->m, s->w, rows, scale, dp, ld, qr, s->ldq, r > 0, to[1] + ak, s->ldq,
                    mem);
        }
    }
    job_join(job, &scratch);
}

static fd_var *attend_push(fd_tape *t, const struct attend *s, const int out[3], int nsrc,
                           fd_var *const src[])
{
    static const struct fd_op op = { "fd_attention", op_attention_vjp, 1 };
    struct attend *own = fd_raw(t->mem, struct attend, 1);
    fd_var *y = own ? tape_push(t, &op, 3, out, nsrc, src) : NULL;
    if (!y) return NULL;
    *own = *s;
    own->stats = y->needs ? fd_raw(t->mem, fd_real, 2 * (ptrdiff_t)s->b * s->heads * s->n) : NULL;
    y->aux = own;
    attend_run(own, y->x, *t->mem);
    return t->mem->st->code ? NULL : y;
}

static fd_var *fuse_attention(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads)
{
    int b = q->n[0], n = q->n[1], d = q->n[2], m = k->n[1], e = v->n[2], out[3] = { b, n, e };
    struct attend s = { b, n, m, heads, d / heads, e / heads, d, e, q->x, k->x, v->x, NULL };
    return attend_push(t, &s, out, 3, (fd_var *[]){ q, k, v });
}

static fd_var *fuse_attend(fd_tape *t, fd_var *x, int heads)
{
    if (!x) return NULL;
    int b = x->n[0], n = x->n[1], e = x->n[2] / 3, w = e / heads, out[3] = { b, n, e };
    struct attend s = { b, n, n, heads, w, w, 3 * e, 3 * e, x->x, x->x + e, x->x + 2 * e, NULL };
    return attend_push(t, &s, out, 1, &x);
}
#endif

/* ---- Patches ------------------------------------------------------------------------------------
 *
 * x [b][n0][n1][n2][c] to tokens [b][t0][t1][t2][p0][p1][p2][c], t = n/p, or (cut = 0) back. What
 * lies together in both is p2 points. */

static void patch_copy(int cut, int b, const int n[3], const int p[3], int c, const fd_real *x,
                       fd_real *y)
{
    const int t[3] = { n[0] / p[0], n[1] / p[1], n[2] / p[2] }, size = p[0] * p[1] * p[2];
    ptrdiff_t run = (ptrdiff_t)p[2] * c, rows = (ptrdiff_t)b * n[0] * n[1];
    FD_PARALLEL_IF(rows * n[2] * c > TAPE_BLOCK)
    for (ptrdiff_t r = 0; r < rows; r++) {
        int i1 = (int)(r % n[1]), i0 = (int)(r / n[1] % n[0]);
        ptrdiff_t token = ((r / n[1] / n[0] * t[0] + i0 / p[0]) * t[1] + i1 / p[1]) * t[2];
        ptrdiff_t in = i0 % p[0] * p[1] + i1 % p[1];
        for (int k = 0; k < t[2]; k++) {
            ptrdiff_t at = r * n[2] * c + k * run, to = (token + k) * size * c + in * run;
            memcpy(y + (cut ? to : at), x + (cut ? at : to), (size_t)run * sizeof *y);
        }
    }
}

/* ---- Stencils of three points -------------------------------------------------------------------
 *
 * The neighbours of each point, x [rows][c] to y [rows][parts][c], part k of point p the value at
 * p + o_k, where o_k goes through {-1, 0, 1}^axes; or (back) the transpose. Beyond the ends of an
 * axis the value is what its boundary continues x with. */

/* Which point of an axis gives the value at i, which may be beyond its ends, and with what sign: 0
 * where the boundary has a zero. FD_DIRICHLET axes are odd around -1 and n, where no points are
 * stored, others even or odd around -1/2 and n - 1/2. */
static int stencil_at(int bc, int n, ptrdiff_t i, int *sign)
{
    const ptrdiff_t all = n, zero = bc == FD_DIRICHLET;
    const ptrdiff_t turn = bc == FD_PERIODIC ? all : bc == FD_MIXED ? 4 * all : 2 * (all + zero);
    i = (i % turn + turn) % turn;
    *sign = 1;
    if (bc == FD_MIXED && i >= 2 * all) { i = turn - 1 - i; *sign = -1; }
    if (i < all) return (int)i;
    if (!zero) return (int)(2 * all - 1 - i);
    *sign = i == all || i == turn - 1 ? 0 : -1;
    return *sign ? (int)(2 * all - i) : 0;
}

/* Of one axis: the neighbours of a point. Where one is beyond an end, `at` is the point inside that
 * the boundary puts there, or -1 for none, and `sign` is what its value is multiplied by. In the
 * transpose the point `at` has this one as its neighbour -1, 0, 1: `of`, counted from 0. */
struct stencil { int at[3], of[3]; fd_real sign[3]; };

/* those of point i of n */
static struct stencil stencil_axis(int bc, int n, int i)
{
    struct stencil s;
    for (int k = 0; k < 3; k++) {
        int j = i + k - 1, sign = 0;
        s.at[k] = j;
        s.of[k] = 2 - k;
        s.sign[k] = 1;
        if (j >= 0 && j < n) continue;
        if (bc != STENCIL_ZERO) j = stencil_at(bc, n, j, &sign);
        s.at[k] = sign ? j : -1;
        s.sign[k] = (fd_real)sign;
        if (bc != FD_PERIODIC) s.of[k] = k;
    }
    return s;
}

/* One point by its three lists: the plain form. y has room for parts c numbers, or (back) for c. */
static void stencil_point(const struct stencil_grid *g, int back, ptrdiff_t r, const fd_real *x,
                          fd_real *y)
{
    const int *n = g->n, *from = g->from, c = g->c;
    struct stencil s[3];
    ptrdiff_t first = r;
    int k = 0;
    for (int i = 2; i >= 0; first /= n[i--])
        s[i] = stencil_axis(g->bc[i], n[i], (int)(first % n[i]));
    first *= (ptrdiff_t)n[0] * n[1] * n[2];           /* where this sample begins */
    for (int a = from[0]; a < 3 - from[0]; a++)
    for (int b = from[1]; b < 3 - from[1]; b++)
    for (int e = from[2]; e < 3 - from[2]; e++, k++) {
        int in = s[0].at[a] >= 0 && s[1].at[b] >= 0 && s[2].at[e] >= 0;
        ptrdiff_t q = first + ((ptrdiff_t)s[0].at[a] * n[1] + s[1].at[b]) * n[2] + s[2].at[e];
        fd_real sign = s[0].sign[a] * s[1].sign[b] * s[2].sign[e];
        if (back && in) {                             /* r is neighbour p of q */
            int p = s[2].of[e] + (from[1] ? 0 : 3 * s[1].of[b]) + (from[0] ? 0 : 9 * s[0].of[a]);
            for (int j = 0; j < c; j++) y[j] += sign * x[(q * g->parts + p) * c + j];
        } else if (!back) {
            for (int j = 0; j < c; j++) y[k * c + j] = in ? sign * x[q * c + j] : 0;
        }
    }
}

#ifdef FD_PLAIN
static void stencil_run(const struct stencil_grid *g, int back, const fd_real *x, fd_real *y)
{
    ptrdiff_t each = back ? g->c : (ptrdiff_t)g->parts * g->c;
    memset(y, 0, (size_t)(g->rows * each) * sizeof *y);
    for (ptrdiff_t r = 0; r < g->rows; r++) stencil_point(g, back, r, x, y + r * each);
}
#else
/* Points away from the ends need no lists: their neighbours lie `near` of them. */
static void stencil_run(const struct stencil_grid *g, int back, const fd_real *x, fd_real *y)
{
    const int *n = g->n, *from = g->from, c = g->c, parts = g->parts;
    ptrdiff_t near[27];
    int count = 0;
    for (int a = from[0]; a < 3 - from[0]; a++)
    for (int b = from[1]; b < 3 - from[1]; b++)
    for (int e = from[2]; e < 3 - from[2]; e++)
        near[count++] = ((ptrdiff_t)(a - 1) * n[1] + b - 1) * n[2] + e - 1;
    FD_PARALLEL_IF(g->rows * parts * c > TAPE_BLOCK)
    for (ptrdiff_t r = 0; r < g->rows; r++) {
        ptrdiff_t rest = r;
        fd_real *to = back ? y + r * c : y + r * parts * c;
        int inside = 1;
        if (back) memset(to, 0, (size_t)c * sizeof *to);
        for (int i = 2; i >= 0; rest /= n[i--]) {
            int j = (int)(rest % n[i]);
            inside &= from[i] || (j > 0 && j < n[i] - 1);
        }
        if (!inside) stencil_point(g, back, r, x, to);
        for (int k = 0; k < parts && inside; k++) {   /* r is neighbour parts-1-k of its k-th one */
            const fd_real *at = back ? x + ((r + near[k]) * parts + parts - 1 - k) * c
                                     : x + (r + near[k]) * c;
            if (back) for (int j = 0; j < c; j++) to[j] += at[j];
            else if (c == 1) to[k] = *at;             /* one number needs no memcpy */
            else memcpy(to + k * c, at, (size_t)c * sizeof *to);
        }
    }
}
#endif

/* ---- Stencils of physical width -----------------------------------------------------------------
 *
 * y(p) = sum over the taps o of w(o) x(p + o step), channel by channel; (back) its transpose; and
 * the gradient g(o) = sum over p of x(p + o step) y(p). x and y are [b][n0][n1][n2][c], w and g
 * [taps of axis 0][1][2][c].
 *
 * This is done a row of the last axis at a time: all rows of x that it needs, each with the
 * weights of its taps. In the middle of a row tap k of point p is point p + (k - half) step, or in
 * the transpose minus that. Points near the ends go by lists, which say for every point of an axis
 * what its taps are; the plain form goes by lists everywhere. */

/* `sign` is -1 where x is continued as an odd function, `k` the number of the tap */
struct tap { int at, k; fd_real sign; };

/* the lists of an axis, of y or (back) of the transpose */
static void taps_list(struct taps_axis *x, int back, fd_arena *a)
{
    const int n = x->n, half = x->wide / 2, reach = half * (x->step < 0 ? -x->step : x->step);
    x->first = fd_new(a, int, n + 2);
    x->list = fd_raw(a, struct tap, (ptrdiff_t)n * x->wide);
    x->lo = reach < n ? reach : n;
    x->hi = n - reach > x->lo ? n - reach : x->lo;
    /* the first pass counts the taps of each point, the second puts them in their places */
    for (int pass = 0; pass < 2 && x->list; pass++) {
        for (int p = 0; p < n; p++)
            for (int k = 0, sign; k < x->wide; k++) {
                const ptrdiff_t move = (ptrdiff_t)(k - half) * x->step;
                const int q = stencil_at(x->bc, n, p + move, &sign), to = back ? q : p;
                if (!sign) continue;
                if (!pass) x->first[to + 2]++;
                else x->list[x->first[to + 1]++] = (struct tap){ back ? p : q, k, (fd_real)sign };
            }
        for (int i = 0; i < n && !pass; i++) x->first[i + 2] += x->first[i + 1];
    }
}

/* a copy of s with its lists, in the arena */
static struct taps *taps_new(fd_arena *a, const struct taps *s, int back)
{
    struct taps *own = fd_raw(a, struct taps, 1);
    if (!own) return NULL;
    *own = *s;
    for (int i = 0; i < 3; i++) taps_list(&own->ax[i], back, a);
    return a->st->code ? NULL : own;
}

/* Point p of a row, y [n][c], by its list: it adds what `rows` rows x give, each with its w. */
FD_INLINE void taps_point(const struct taps_axis *ax, int c, int rows, const fd_real *const x[],
                          const fd_real *const w[], int p, fd_real *restrict y)
{
    fd_real *to = y + (ptrdiff_t)p * c;
    for (int r = 0; r < rows; r++)
        for (int e = ax->first[p]; e < ax->first[p + 1]; e++) {
            const struct tap *q = &ax->list[e];
            const fd_real *u = x[r] + (ptrdiff_t)q->at * c, *z = w[r] + (ptrdiff_t)q->k * c;
            const fd_real sign = q->sign;
            for (int j = 0; j < c; j++) to[j] += sign * z[j] * u[j];
        }
}

/* the products of a point in the gradient: part [wide][c] gets what row x, of sign, has with y */
FD_INLINE void taps_point_products(const struct taps_axis *ax, int c, int p, const fd_real *x,
                                   fd_real sign, const fd_real *y, fd_real *restrict part)
{
    for (int e = ax->first[p]; e < ax->first[p + 1]; e++) {
        const struct tap *q = &ax->list[e];
        const fd_real *u = x + (ptrdiff_t)q->at * c, *v = y + (ptrdiff_t)p * c;
        const fd_real both = sign * q->sign;
        fd_real *g = part + (ptrdiff_t)q->k * c;
        for (int j = 0; j < c; j++) g[j] += both * u[j] * v[j];
    }
}

enum { TAPS_ROWS = 9 };                               /* rows done at a time */

#ifdef FD_PLAIN
static void taps_row(const struct taps_axis *ax, int back, int c, int rows,
                     const fd_real *const x[], const fd_real *const w[], int add, fd_real *y)
{
    (void)back;
    if (!add) memset(y, 0, (size_t)ax->n * (size_t)c * sizeof *y);
    for (int p = 0; p < ax->n; p++) taps_point(ax, c, rows, x, w, p, y);
}

static void taps_products(const struct taps_axis *ax, int c, int from, int to, const fd_real *x,
                          fd_real sign, const fd_real *y, fd_real *part)
{
    for (int p = from; p < to; p++) taps_point_products(ax, c, p, x, sign, y, part);
}
#else
enum { TAPS_POINTS = 4 };                             /* points done at a time */

/* `lanes` channels, from each pointer on, of the points lo..hi of a row */
FD_INLINE void taps_middle(const struct taps_axis *ax, int back, int c, int rows,
                           const fd_real *const x[], const fd_real *const w[], int add,
                           fd_real *y, int lanes)
{
    const ptrdiff_t step = (ptrdiff_t)(back ? -ax->step : ax->step) * c;
    const int wide = ax->wide;
    for (int p = ax->lo, m; p < ax->hi; p += m) {
        fd_vec sum[TAPS_POINTS], zero = { 0 };
        m = ax->hi - p < TAPS_POINTS ? 1 : TAPS_POINTS;
        fd_real *to = y + (ptrdiff_t)p * c;
        for (int i = 0; i < m; i++)
            sum[i] = add ? lanes_load(to + (ptrdiff_t)i * c, lanes) : zero;
        for (int r = 0; r < rows; r++) {
            const fd_real *from = x[r] + (ptrdiff_t)p * c - wide / 2 * step, *v = w[r];
            for (int k = 0; k < wide; k++, from += step, v += c) {
                const fd_vec u = lanes_load(v, lanes);
                if (m == 1) {
                    sum[0] += u * lanes_load(from, lanes);
                } else {
                    FD_UNROLL
                    for (int i = 0; i < TAPS_POINTS; i++)
                        sum[i] += u * lanes_load(from + (ptrdiff_t)i * c, lanes);
                }
            }
        }
        for (int i = 0; i < m; i++) lanes_store(to + (ptrdiff_t)i * c, sum[i], lanes);
    }
}

/* a whole row, y (+)= the sum over `rows` rows x, each with its w [wide][c] */
static void taps_row(const struct taps_axis *ax, int back, int c, int rows,
                     const fd_real *const x[], const fd_real *const w[], int add,
                     fd_real *restrict y)
{
    const fd_real *from[TAPS_ROWS], *v[TAPS_ROWS];
    for (int j = 0; j < c; j += FD_W) {
        for (int r = 0; r < rows; r++) { from[r] = x[r] + j; v[r] = w[r] + j; }
        if (c - j >= FD_W) taps_middle(ax, back, c, rows, from, v, add, y + j, FD_W);
        else taps_middle(ax, back, c, rows, from, v, add, y + j, c - j);
    }
    for (int p = ax->lo ? 0 : ax->hi; p < ax->n; p = p + 1 == ax->lo ? ax->hi : p + 1) {
        if (!add) memset(y + (ptrdiff_t)p * c, 0, (size_t)c * sizeof *y);
        taps_point(ax, c, rows, x, w, p, y);
    }
}

/* the products of points from..to */
static void taps_products(const struct taps_axis *ax, int c, int from, int to, const fd_real *x,
                          fd_real sign, const fd_real *y, fd_real *restrict part)
{
    const int lo = from > ax->lo ? from : ax->lo, hi = to < ax->hi ? to : ax->hi;
    for (int k = 0; k < ax->wide && lo < hi; k++) {
        const fd_real *u = x + (lo + (ptrdiff_t)(k - ax->wide / 2) * ax->step) * c;
        const fd_real *v = y + (ptrdiff_t)lo * c;
        for (int j = 0; j < c; j += FD_W) {
            fd_vec sum[TAPS_POINTS];
            const int lanes = c - j < FD_W ? c - j : FD_W;
            memset(sum, 0, sizeof sum);
            ptrdiff_t p = j, end = (ptrdiff_t)(hi - lo) * c;
            for (; p + (TAPS_POINTS - 1) * (ptrdiff_t)c < end; p += TAPS_POINTS * (ptrdiff_t)c)
                FD_UNROLL
                for (int i = 0; i < TAPS_POINTS; i++) {
                    const fd_real *f = u + p + i * (ptrdiff_t)c, *h = v + p + i * (ptrdiff_t)c;
                    sum[i] += lanes_load(f, lanes) * lanes_load(h, lanes);
                }
            for (; p < end; p += c)
                sum[0] += lanes_load(u + p, lanes) * lanes_load(v + p, lanes);
            fd_real *g = part + (ptrdiff_t)k * c + j;
            const fd_vec all = sign * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
            lanes_store(g, lanes_load(g, lanes) + all, lanes);
        }
    }
    for (int p = from; p < to; p++) {
        if (p >= ax->lo && p < ax->hi) { p = ax->hi - 1; continue; }
        taps_point_products(ax, c, p, x, sign, y, part);
    }
}
#endif

/* The rows of x that row r of a sample of y needs, one after the other: *e counts them, and 0 comes
 * at the end. */
static int taps_next(const struct taps *s, int r, int *e, ptrdiff_t *row, int *part, fd_real *sign)
{
    const struct taps_axis *a = &s->ax[0], *b = &s->ax[1];
    const int i = r / b->n, j = r % b->n, count = b->first[j + 1] - b->first[j];
    if (*e >= (a->first[i + 1] - a->first[i]) * count) return 0;
    const struct tap *p = &a->list[a->first[i] + *e / count];
    const struct tap *q = &b->list[b->first[j] + *e % count];
    *row = (ptrdiff_t)p->at * b->n + q->at;
    *part = p->k * b->wide + q->k;
    *sign = p->sign * q->sign;
    ++*e;
    return 1;
}

static void taps_run(const struct taps *s, int back, const fd_real *x, const fd_real *w, fd_real *y,
                     fd_arena scratch)
{
    const int c = s->c, n = s->ax[2].n, wide = s->ax[2].wide;
    const ptrdiff_t rows = (ptrdiff_t)s->ax[0].n * s->ax[1].n;
    const ptrdiff_t size = (ptrdiff_t)s->parts * c, line = (ptrdiff_t)n * c;
    fd_real *minus = fd_raw(&scratch, fd_real, size);
    if (!minus) return;
    for (ptrdiff_t i = 0; i < size; i++) minus[i] = -w[i];
    FD_PARALLEL_IF(s->b * rows * line > TAPE_BLOCK)
    for (ptrdiff_t k = 0; k < s->b * rows; k++) {
        const fd_real *from[TAPS_ROWS], *v[TAPS_ROWS], *sample = x + k / rows * rows * line;
        fd_real *to = y + k * line, sign;
        ptrdiff_t row;
        int e = 0, count = 0, add = 0, part;
        while (taps_next(s, (int)(k % rows), &e, &row, &part, &sign)) {
            from[count] = sample + row * line;
            v[count++] = (sign < 0 ? minus : w) + (ptrdiff_t)part * wide * c;
            if (count < TAPS_ROWS) continue;
            taps_row(&s->ax[2], back, c, count, from, v, add, to);
            count = 0, add = 1;
        }
        if (count) taps_row(&s->ax[2], back, c, count, from, v, add, to);
    }
}

static void taps_gradient(const struct taps *s, const fd_real *x, const fd_real *y, fd_real *g,
                          fd_arena scratch)
{
    enum { POINTS = 128 };                            /* so many are added in fd_real */
    const int c = s->c, n = s->ax[2].n;
    const ptrdiff_t rows = (ptrdiff_t)s->ax[0].n * s->ax[1].n;
    const ptrdiff_t size = (ptrdiff_t)s->parts * c, line = (ptrdiff_t)n * c;
    const ptrdiff_t each = (ptrdiff_t)s->ax[2].wide * c;
    fd_real *sums = fd_raw(&scratch, fd_real, s->b * size);
    fd_real *parts = fd_raw(&scratch, fd_real, s->b * each);
    double *total = fd_new(&scratch, double, s->b * size);
    if (!total) return;
    FD_PARALLEL_IF(s->b * rows * line > TAPE_BLOCK)
    for (int i = 0; i < s->b; i++) {
        double *sum = total + i * size;
        fd_real *part = parts + i * each;
        for (int r = 0; r < (int)rows; r++) {
            const fd_real *v = y + (i * rows + r) * line;
            ptrdiff_t row;
            fd_real sign;
            for (int e = 0, k; taps_next(s, r, &e, &row, &k, &sign); )
                for (int p = 0; p < n; p += POINTS) {
                    memset(part, 0, (size_t)each * sizeof *part);
                    taps_products(&s->ax[2], c, p, n - p < POINTS ? n : p + POINTS,
                                  x + (i * rows + row) * line, sign, v, part);
                    for (ptrdiff_t j = 0; j < each; j++) sum[k * each + j] += (double)part[j];
                }
        }
        for (ptrdiff_t j = 0; j < size; j++) sums[i * size + j] = (fd_real)sum[j];
    }
    sum_axis(1, s->b, size, sums, g, scratch);
}

/* ==== Room IV: the optimiser and files ==== */

/* ---- Optimiser ----------------------------------------------------------------------------------
 *
 *     m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2      [Adam alg. 1; AdamW alg. 2]
 *     w <- w - rate (decay w + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps))
 *     avg <- e avg + (1 - e) w,     e = min(ema, (1 + t)/(10 + t))
 *
 * FD_AMSGRAD has max(v_1 .. v_t) in the place of v, FD_ADABELIEF (g - m)^2 in that of g^2, with the
 * new m, and adds eps to v in each step. */

fd_adam fd_adam_default(int rule)
{
    return (fd_adam){ .lr = 1e-3, .beta1 = .9, .beta2 = .999,
                      .eps = rule == FD_ADABELIEF ? 1e-16 : 1e-8,
                      .ema = .999, .rule = rule };
}

static const char *const opt_other = "this optimiser was made for another network: weights";

fd_opt *fd_opt_new(fd_arena *a, const fd_net *net, const fd_adam *how)
{
    fd_opt *o = net && net_trains(net, a->st, "fd_opt_new") ? fd_new(a, fd_opt, 1) : NULL;
    if (!o) return NULL;
    o->how = how ? *how : fd_adam_default(FD_ADAMW);
    if (!field_check(a->st, "fd_opt_new", ADAM_FIELDS, adam_fields, OF_ALL, o)) return NULL;
    o->count = net->count;
    o->m = fd_new(a, fd_real, o->count);
    o->v = fd_new(a, fd_real, o->count);
    if (o->how.rule == FD_AMSGRAD) o->top = fd_new(a, fd_real, o->count);
    o->avg = fd_raw(a, fd_real, o->count);
    if (!o->avg) return NULL;
    memcpy(o->avg, net->w, (size_t)o->count * sizeof *o->avg);
    return o;
}

double fd_opt_rate(const fd_opt *o, int step)
{
    const double pi = FD_PI;
    if (!o) return NAN;
    const fd_adam *h = &o->how;
    if (step < h->warmup) return h->lr * step / h->warmup;
    if (h->steps <= 0) return h->lr;
    double u = h->steps > h->warmup ? (double)(step - h->warmup) / (h->steps - h->warmup) : 1;
    if (u > 1) u = 1;
    return h->lr_end + (h->lr - h->lr_end) * .5 * (1 + cos(pi * u));
}

/* |g|: 16 running sums, whatever the width of a vector */
static double opt_norm(ptrdiff_t n, const fd_real *g)
{
    double s[16] = { 0 }, sum = 0;
    for (ptrdiff_t i = 0; i < n; i += 16) {
        int m = n - i < 16 ? (int)(n - i) : 16;
        if (m == 16) for (int l = 0; l < 16; l++) s[l] += (double)g[i + l] * (double)g[i + l];
        else         for (int l = 0; l < m; l++)  s[l] += (double)g[i + l] * (double)g[i + l];
    }
    for (int l = 0; l < 16; l++) sum += s[l];
    return sqrt(sum);
}

enum { OPT_BLOCK = 4096 };
#ifdef FD_DOUBLE
#define OPT_SQRT sqrt
#else
#define OPT_SQRT sqrtf
#endif

/* sqrt that may set errno is not turned into a vector instruction */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("no-math-errno")))
#endif
static void opt_block(int n, const fd_real *p, fd_real *restrict w, fd_real *restrict g,
                      fd_real *restrict m, fd_real *restrict v, fd_real *restrict avg,
                      fd_real *restrict top)
{
    const fd_real b1 = p[0], c1 = p[1], b2 = p[2], c2 = p[3], eps = p[4], keep = p[5], by = p[6];
    const fd_real root = p[7], clip = p[8], e1 = p[9], most = p[10], belief = p[11], more = p[12];
    const fd_real *u = top ? top : v;                                 /* [AMSGrad alg. 2] */
    for (int j = 0; j < n; j++) {
        fd_real d = clip * g[j];
        d = d > most ? most : d;
        d = d < -most ? -most : d;
        m[j] = b1 * m[j] + c1 * d;
        d -= belief * m[j];                                       /* [AdaBelief alg. 2] */
        v[j] = b2 * v[j] + c2 * (d * d) + more;
    }
    for (int j = 0; top && j < n; j++) top[j] = v[j] > top[j] ? v[j] : top[j];
    for (int j = 0; j < n; j++) {
        w[j] = keep * w[j] - by * m[j] / (root * OPT_SQRT(u[j]) + eps);
        avg[j] += e1 * (w[j] - avg[j]);
        g[j] = 0;
    }
}

double fd_opt_step(fd_opt *o, fd_net *net, fd_status *st)
{
    if (!o || !net || st->code) return 0;
    if (o->count != net->count)
        return FD_FAIL(st, FD_ESHAPE, "fd_opt_step", opt_other, o->count, net->count), 0;
    if (o->step == INT_MAX)
        return FD_FAIL(st, FD_EARG, "fd_opt_step", "no more steps can be counted", o->step), 0;
    if (!net_trains(net, st, "fd_opt_step")) return 0;
    const fd_adam *h = &o->how;
    double norm = opt_norm(o->count, net->g);
    double most = sizeof(fd_real) == sizeof(double) ? 1e150 : 1e18;     /* its square is a number */
    if (!(norm <= 1e300) || !((h->clip > 0 && norm > h->clip ? h->clip : norm) <= most))
        return FD_FAIL(st, FD_ENAN, "fd_opt_step", "the gradient is not finite, or too large: step",
                       o->step + 1), norm;
    int step = ++o->step;
    double rate = fd_opt_rate(o, step), e = (1.0 + step) / (10.0 + step);
    int belief = h->rule == FD_ADABELIEF;
    const double p[13] = { h->beta1, 1 - h->beta1, h->beta2, 1 - h->beta2, h->eps,
                           1 - rate * h->decay, rate / (1 - pow(h->beta1, step)),
                           1 / sqrt(1 - pow(h->beta2, step)),
                           h->clip > 0 && norm > h->clip ? h->clip / norm : 1,
                           1 - (h->ema < e ? h->ema : e), h->clip_each > 0 ? h->clip_each : most,
                           belief, belief ? h->eps : 0 };
    fd_real q[13];
    for (int i = 0; i < 13; i++) q[i] = (fd_real)p[i];
    ptrdiff_t blocks = (o->count + OPT_BLOCK - 1) / OPT_BLOCK;
    FD_PARALLEL_IF(o->count > 8 * OPT_BLOCK)
    for (ptrdiff_t i = 0; i < blocks; i++) {
        ptrdiff_t at = i * OPT_BLOCK;
        int n = (int)(o->count - at < OPT_BLOCK ? o->count - at : OPT_BLOCK);
        opt_block(n, q, net->w + at, net->g + at, o->m + at, o->v + at, o->avg + at,
                  o->top ? o->top + at : NULL);
    }
    return norm;
}

/* ---- Checkpoints --------------------------------------------------------------------------------
 *
 * A .safetensors file: the weights as net.<part>, with an optimiser also ema.<part>, adam.m.<part>,
 * adam.v.<part> and, for FD_AMSGRAD, adam.top.<part>; every number of the configuration as text
 * under arch.*, adam.*, doubles with 17 digits so that they come back exactly. Names with these
 * four prefixes are ours, all others the caller's. */
#ifndef FD_NO_STDIO
#include <stdio.h>
#include <stdlib.h>

static const char *const save_prefix[] = { "net.", "ema.", "adam.m.", "adam.v.", "adam.top." };
static int save_kinds(const fd_opt *o) { return !o ? 1 : o->how.rule == FD_AMSGRAD ? 5 : 4; }

static int save_ours(const char *name)
{
    static const char *const ours[] = { "net.", "ema.", "adam.", "arch." };
    for (int i = 0; i < 4; i++) if (!strncmp(name, ours[i], strlen(ours[i]))) return 1;
    return 0;
}

static void save_fields(int n, const struct field *f, int is, const void *from, fd_meta *m,
                        char text[][32])
{
    for (int i = 0; i < n; i++) {
        const struct place *p = field_place(&f[i], is);
        const double x = p ? field_value(&f[i], p, from) : 0;
        if (f[i].real) {
            snprintf(text[i], sizeof *text, "%.17g", x);
            char *comma = strchr(text[i], ',');             /* the point of some locales */
            if (comma) *comma = '.';
        } else snprintf(text[i], sizeof *text, "%d", (int)x);
        m[i].key = f[i].key;
        m[i].value = text[i];
    }
}

int fd_net_save(fd_status *st, const char *path, const fd_net *net, const fd_opt *opt,
                const fd_tensors *more, fd_arena scratch)
{
    static const fd_tensors none;
    static const char where[] = "fd_net_save";
    static const char taken[] = "names with this prefix belong to the network";
    if (st->code || !net) return st->code;
    if (opt && opt->count != net->count)
        return FD_FAIL(st, FD_ESHAPE, where, opt_other, opt->count, net->count);
    scratch.st = st;
    if (!more) more = &none;
    for (int i = 0; i < more->count; i++)
        if (save_ours(more->tensor[i].name))
            return fd_fail_name(st, FD_EARG, where, taken, more->tensor[i].name);
    for (int i = 0; i < more->metas; i++)
        if (save_ours(more->meta[i].key))
            return fd_fail_name(st, FD_EARG, where, taken, more->meta[i].key);

    fd_real *const from[] = { net->w, opt ? opt->avg : NULL, opt ? opt->m : NULL,
                              opt ? opt->v : NULL, opt ? opt->top : NULL };
    int kinds = save_kinds(opt);
    fd_tensors f;
    f.tensor = fd_raw(&scratch, fd_tensor, kinds * net->parts + more->count);
    f.meta = fd_raw(&scratch, fd_meta, ARCH_FIELDS + ADAM_FIELDS + 1 + more->metas);
    char (*name)[64] = fd_take(&scratch, (size_t)(kinds * net->parts), sizeof *name);
    char (*text)[32] = fd_take(&scratch, ARCH_FIELDS + ADAM_FIELDS, sizeof *text);
    if (!text) return st->code;
    f.count = f.metas = 0;
    for (int k = 0; k < kinds; k++)
        for (int i = 0; i < net->parts; i++) {
            const fd_part *p = &net->part[i];
            fd_tensor *t = &f.tensor[f.count];
            t->name = strcat(strcpy(name[f.count++], save_prefix[k]), p->name);
            t->nd = p->nd;
            memcpy(t->n, p->n, sizeof t->n);
            t->x = from[k] + p->at;
        }
    f.meta[f.metas++] = (fd_meta){ "net.version", "1" };
    save_fields(ARCH_FIELDS, arch_fields, arch_is(&net->arch), &net->arch, f.meta + f.metas, text);
    f.metas += ARCH_FIELDS;
    if (opt) {
        save_fields(ADAM_FIELDS, adam_fields, OF_ALL, opt, f.meta + f.metas, text + ARCH_FIELDS);
        f.metas += ADAM_FIELDS;
    }
    for (int i = 0; i < more->count; i++) f.tensor[f.count++] = more->tensor[i];
    for (int i = 0; i < more->metas; i++) f.meta[f.metas++] = more->meta[i];
    return fd_tensors_save(st, path, &f);
}

static int load_fail(fd_status *st, const char *what, const char *name)
{
    return fd_fail_name(st, FD_EDATA, "fd_net_load", what, name);
}

/* 1 for keys that older files lack: in these the edges are plain, all axes have one pad, and there
 * are no stencils and no labels */
static int load_newer(const char *key)
{
    return !strcmp(key, "arch.edges") || !strcmp(key, "arch.stencil") || !strcmp(key, "arch.pad1")
        || !strcmp(key, "arch.pad2") || !strcmp(key, "arch.labels");
}

/* the number x at a place */
static void load_put(const struct field *f, const struct place *p, double x, void *to)
{
    const int v = f->real ? 0 : (int)x;
    if (f->real) memcpy((char *)to + p->at, &x, sizeof x);
    else memcpy((char *)to + p->at, &v, sizeof v);
}

/* strtod, also where the point of the locale is a comma */
static double load_real(const char *s, char **end)
{
    double x = strtod(s, end);
    char text[40];
    const ptrdiff_t at = *end - s;
    if (**end != '.' || strlen(s) >= sizeof text) return x;
    strcpy(text, s);
    text[at] = ',';
    x = strtod(text, end);
    *end = (char *)(uintptr_t)s + (*end - text);
    return x;
}

/* Every number goes to all its places: which of them are read is known when all are there. */
static void load_fields(fd_status *st, const fd_tensors *file, int n, const struct field *f,
                        void *to)
{
    for (int i = 0; i < n; i++) {
        const char *s = fd_meta_find(file, f[i].key);
        char *end;
        if (!s && load_newer(f[i].key)) continue;
        if (!s || !*s) { load_fail(st, "missing in the metadata", f[i].key); return; }
        double x = f[i].real ? load_real(s, &end) : (double)strtol(s, &end, 10);
        if (*end || !(x - x == 0) || (!f[i].real && !(x >= INT_MIN && x <= INT_MAX))) {
            load_fail(st, "not a number in the metadata", f[i].key);
            return;
        }
        for (int j = 0; j < 2; j++)
            if (f[i].place[j].of) load_put(&f[i], &f[i].place[j], x, to);
    }
}

/* the tensor prefix.part of the right shape, or an error */
static const fd_tensor *load_part(fd_status *st, const fd_tensors *f, const char *prefix,
                                  const fd_part *p)
{
    char name[64];
    const fd_tensor *t = fd_tensor_need(st, "fd_net_load", f,
                                        strcat(strcpy(name, prefix), p->name));
    if (!t) return NULL;
    if (t->nd != p->nd || memcmp(t->n, p->n, (size_t)p->nd * sizeof *p->n))
        return tape_null(load_fail(st, "tensor with a shape that the network does not have", name));
    return t;
}

/* records the first of our names that is none of the known ones */
static void load_unknown(fd_status *st, const fd_tensors *f, const fd_net *net, int kinds)
{
    for (int i = 0; i < f->metas; i++) {
        const char *key = f->meta[i].key;
        int known = !save_ours(key) || !strcmp(key, "net.version");
        for (int j = 0; j < ARCH_FIELDS; j++) known |= !strcmp(key, arch_fields[j].key);
        for (int j = 0; j < ADAM_FIELDS; j++) known |= !strcmp(key, adam_fields[j].key);
        if (!known) load_fail(st, "unknown key in the metadata", key);
    }
    for (int i = 0; i < f->count; i++) {
        const char *name = f->tensor[i].name;
        int known = !save_ours(name);
        for (int k = 0; k < kinds && !known; k++) {
            size_t n = strlen(save_prefix[k]);
            if (!strncmp(name, save_prefix[k], n))
                for (int j = 0; j < net->parts && !known; j++)
                    known = !strcmp(name + n, net->part[j].name);
        }
        if (!known) load_fail(st, "unknown tensor", name);
    }
}

/* a checkpoint's configuration and, where it was trained, the optimiser's numbers */
static fd_tensors load_open(fd_arena *a, const char *path, fd_arch *arch, fd_opt *o, int *trained)
{
    fd_status *st = a->st;
    memset(arch, 0, sizeof *arch);
    memset(o, 0, sizeof *o);
    *trained = 0;
    fd_tensors f = fd_tensors_load(a, path);
    if (st->code) return f;
    const char *version = fd_meta_find(&f, "net.version");
    if (!version || strcmp(version, "1"))
        load_fail(st, "net.version is not 1: not a checkpoint of ours", path);
    load_fields(st, &f, ARCH_FIELDS, arch_fields, arch);
    if (!fd_meta_find(&f, "arch.edges")) arch->edges = FD_EDGES_PLAIN;
    if (!fd_meta_find(&f, "arch.pad1")) arch->fno.pad[1] = arch->fno.pad[2] = arch->fno.pad[0];
    *trained = fd_meta_find(&f, "adam.step") != NULL;
    if (*trained) load_fields(st, &f, ADAM_FIELDS, adam_fields, o);
    return f;
}

/* every tensor that this network and its optimiser want is there, and no other of ours */
static void load_look(fd_status *st, const fd_tensors *f, const fd_net *net, const fd_opt *o)
{
    const int all = save_kinds(o);
    for (int k = 0; k < all; k++)
        for (int i = 0; i < net->parts && !st->code; i++)
            load_part(st, f, save_prefix[k], &net->part[i]);
    load_unknown(st, f, net, all);
}

/* the file's weights, which were looked at, into the network, and an optimiser with o's numbers
 * where that is not NULL */
static fd_opt *load_weights(fd_arena *a, const fd_tensors *f, fd_net *net, const fd_opt *o)
{
    fd_opt *to = o ? fd_opt_new(a, net, &o->how) : NULL;
    if (a->st->code) return NULL;
    if (to) to->step = o->step;
    fd_real *const into[] = { net->w, to ? to->avg : NULL, to ? to->m : NULL, to ? to->v : NULL,
                              to ? to->top : NULL };
    for (int k = 0; k < save_kinds(to); k++)
        for (int i = 0; i < net->parts; i++) {
            const fd_part *p = &net->part[i];
            const fd_tensor *t = load_part(a->st, f, save_prefix[k], p);
            ptrdiff_t end = i + 1 < net->parts ? p[1].at : net->count;
            memcpy(into[k] + p->at, t->x, (size_t)(end - p->at) * sizeof(fd_real));
        }
    return to;
}

/* the file without what is ours */
static fd_tensors load_rest(fd_tensors f)
{
    int count = 0, metas = 0;
    for (int i = 0; i < f.count; i++)
        if (!save_ours(f.tensor[i].name)) f.tensor[count++] = f.tensor[i];
    for (int i = 0; i < f.metas; i++) if (!save_ours(f.meta[i].key)) f.meta[metas++] = f.meta[i];
    f.count = count;
    f.metas = metas;
    return f;
}

/* Numbers that no network and no optimiser has are an error of the file. Those that this network
 * does not read are forgotten. */
static void load_check(fd_status *st, fd_arch *arch, const fd_opt *o, int trained)
{
    const int is = arch_is(arch);
    fd_status bad = { 0 };
    if (st->code) return;
    for (int i = 0; i < ARCH_FIELDS; i++) {
        const struct field *f = &arch_fields[i];
        const struct place *p = f->place, *read = field_place(f, is);
        if (!read) field_fits(&bad, "", f, p, arch);
        for (int j = 0; j < 2; j++) if (p[j].of && &p[j] != read) load_put(f, &p[j], 0, arch);
    }
    if (!bad.code && (arch->kind == FD_OWN || net_arch(arch, &bad))
        && (!trained || field_check(&bad, "", ADAM_FIELDS, adam_fields, OF_ALL, o))) return;
    bad.code = FD_EDATA, bad.where = "fd_net_load";
    fd_fail_as(st, &bad);
}

/* the file's network must be the one that is given */
static void load_same(fd_status *st, const fd_arch *arch, const fd_net *net)
{
    for (int i = 0, is = arch_is(&net->arch); i < ARCH_FIELDS; i++) {
        const struct field *f = &arch_fields[i];
        const struct place *p = field_place(f, is);
        if (p && field_value(f, p, arch) != field_value(f, p, &net->arch))
            load_fail(st, "the file's network is another one, in", f->key);
    }
}

/* into *net, or where that is NULL into a new one; on a failure everything is as it was */
static fd_tensors load_net(fd_arena *a, const char *path, fd_net **net, fd_opt **opt)
{
    fd_status *st = a->st;
    fd_arena before = *a;
    fd_net *own = *net;
    fd_arch arch;
    fd_opt o, *to = NULL;
    int trained;
    fd_tensors f = load_open(a, path, &arch, &o, &trained);
    load_check(st, &arch, &o, trained);
    if (own) load_same(st, &arch, own);
    else if (!st->code && arch.kind == FD_OWN)
        load_fail(st, "weights of a function that the file does not hold: give it to "
                  "fd_net_define, and the network to fd_net_restore", path);
    if (!own) own = net_plan(a, &arch);
    if (own && !st->code) load_look(st, &f, own, trained ? &o : NULL);
    if (own && !st->code && (own->w || net_room(a, own)))
        to = load_weights(a, &f, own, trained && opt ? &o : NULL);
    if (st->code) {
        *a = before;
        return (fd_tensors){ .count = 0 };
    }
    *net = own;
    if (opt) *opt = to;
    return load_rest(f);
}

fd_tensors fd_net_load(fd_arena *a, const char *path, fd_net **net, fd_opt **opt)
{
    *net = NULL;
    if (opt) *opt = NULL;
    return load_net(a, path, net, opt);
}

fd_tensors fd_net_restore(fd_arena *a, const char *path, fd_net *net, fd_opt **opt)
{
    if (opt) *opt = NULL;
    if (!net || !net_trains(net, a->st, "fd_net_restore")) return (fd_tensors){ .count = 0 };
    return load_net(a, path, &net, opt);
}

/* ---- Weights of other programs ------------------------------------------------------------------
 *
 * PyTorch has a matrix as [out][in], a 1x1 convolution as [out][in][1].., a kernel or a patch as
 * [out][in][k]..; here all are [k]..[in][out]. Spectral weights are [in][out][k]..[2] there and
 * [k]..[in][out][2] here. The parts are filled one after another, in the order in which the page
 * declares them: each line names a source. */

struct foreign {
    const fd_tensors *f;
    fd_status *st;
    fd_net *net;
    const char *prefix, *group;       /* of all names there, "model."; of a block, %d: its number */
    int length;                       /* of the prefix */
    int i, j;                         /* the numbers in names: layer and block */
    int next;                         /* part to be filled */
    int all[3];                       /* modes there, where more than are used, else 0 */
    char *used;                       /* tensors that found their place; NULL: only looking */
};

static int foreign_fail(struct foreign *o, const char *what, const char *name)
{
    return fd_fail_name(o->st, FD_EDATA, "fd_net_from", what, name);
}

/* what a format stands for at this layer and block */
static void foreign_name(const struct foreign *o, const char *format, char name[128])
{
    int k = snprintf(name, 64, o->group, o->i);
    snprintf(name + k, 64, format, o->i, o->j);
}

/* is it this name behind the prefix? */
static int foreign_is(const struct foreign *o, const char *s, const char *name)
{
    return !strncmp(s, o->prefix, (size_t)o->length) && !strcmp(s + o->length, name);
}

/* NULL where there is none, with an error where what has the name is not numbers: nothing that a
 * network may have is taken for missing */
static const fd_tensor *foreign_find(struct foreign *o, const char *format)
{
    char name[128];
    foreign_name(o, format, name);
    for (int i = 0; i < o->f->count; i++) {
        if (!foreign_is(o, o->f->tensor[i].name, name)) continue;
        if (o->used) o->used[i] = 1;
        return &o->f->tensor[i];
    }
    for (int i = 0; i < o->f->others; i++)
        if (foreign_is(o, o->f->other[i].name, name))
            fd_tensor_need(o->st, "fd_net_from", o->f, o->f->other[i].name);
    return NULL;
}

static const fd_tensor *foreign_need(struct foreign *o, const char *format)
{
    char name[128];
    const fd_tensor *t = o->st->code ? NULL : foreign_find(o, format);
    foreign_name(o, format, name);
    if (!t) foreign_fail(o, "missing tensor", name);
    return t;
}

/* a tensor of this shape, behind which axes of length 1 may follow */
static const fd_tensor *foreign_shaped(struct foreign *o, int nd, const int n[], const char *format)
{
    char text[256];
    const fd_tensor *t = foreign_need(o, format);
    int bad = !t || t->nd < nd;
    for (int i = 0; t && i < t->nd; i++) bad |= t->n[i] != (i < nd ? n[i] : 1);
    if (!t || !bad) return t;
    int k = snprintf(text, 50, "%.40s is", t->name + o->length);
    for (int i = 0; i < t->nd; i++) k += snprintf(text + k, 13, " %d", t->n[i]);
    k += snprintf(text + k, 13, ", not");
    for (int i = 0; i < nd; i++) k += snprintf(text + k, 13, " %d", n[i]);
    foreign_fail(o, "tensor of another shape", text);
    return NULL;
}

/* where the next part goes, or NULL after a failure */
static fd_real *foreign_next(struct foreign *o)
{
    const fd_part *p = &o->net->part[o->next++];
    return o->st->code ? NULL : o->net->w + p->at;
}

/* a convolution or patches with axes k[nd]; column: where input i is there, NULL: at i */
static void foreign_kernel(struct foreign *o, int nd, const int k[], int in, int out,
                           const int *column, const char *format)
{
    int n[FD_MAXD] = { out, in };
    ptrdiff_t size = 1;
    for (int i = 0; i < nd; i++) size *= n[i + 2] = k[i];
    const fd_tensor *t = foreign_shaped(o, nd + 2, n, format);
    fd_real *w = foreign_next(o);
    for (ptrdiff_t j = 0; t && j < out; j++)
        for (ptrdiff_t i = 0; i < in; i++)
            for (ptrdiff_t q = 0; q < size; q++)
                w[(q * in + i) * out + j] = t->x[(j * in + (column ? column[i] : i)) * size + q];
}

static void foreign_dense(struct foreign *o, const char *format)
{
    const int *n = o->net->part[o->next].n;
    foreign_kernel(o, 0, NULL, n[0], n[1], NULL, format);
}

/* numbers in one row, an axis of length 1 before them or not; rows > 0: row i of so many */
static void foreign_vector(struct foreign *o, int rows, const char *format)
{
    int n[2] = { rows ? rows : 1, o->net->part[o->next].n[0] };
    const fd_tensor *t = foreign_need(o, format);
    int two = rows || (t && t->nd > 1 && t->n[0] == 1);
    if (t) t = foreign_shaped(o, two ? 2 : 1, two ? n : n + 1, format);
    fd_real *w = foreign_next(o);
    if (t) memcpy(w, t->x + (rows ? (ptrdiff_t)o->i * n[1] : 0), (size_t)n[1] * sizeof *w);
}

/* NAME.weight and NAME.bias: a matrix and a vector; two vectors */
static void foreign_both(struct foreign *o, const char *name, int matrix)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    if (matrix) foreign_dense(o, weight);
    else foreign_vector(o, 0, weight);
    foreign_vector(o, 0, bias);
}

static void foreign_linear(struct foreign *o, const char *name) { foreign_both(o, name, 1); }
static void foreign_gain(struct foreign *o, const char *name) { foreign_both(o, name, 0); }

/* into the part at w [..][out]: x in row + i, column + i, for i < count */
static void foreign_diagonal(fd_real *w, ptrdiff_t row, int column, int count, int out, double x)
{
    for (int i = 0; w && i < count; i++) w[(row + i) * out + column + i] = (fd_real)x;
}

/* two layers with f between, GELU or SiLU, that pass w numbers on: f(x) - f(-x) = x */
static void foreign_pass(struct foreign *o, int w, int hidden)
{
    fd_real *in = foreign_next(o);
    foreign_diagonal(in, 0, 0, w, hidden, 1);
    foreign_diagonal(in, 0, w, w, hidden, -1);
    foreign_next(o);
    fd_real *out = foreign_next(o);
    foreign_diagonal(out, 0, 0, w, w, 1);
    foreign_diagonal(out, w, 0, w, w, -1);
    foreign_next(o);
}

/* a skip by a matrix, by one number a channel [soft gating], or what `missing` says where it has no
 * weights: 1: the identity, 2: none */
static void foreign_skip(struct foreign *o, const char *numbers, const char *matrix, int missing)
{
    const fd_arch *a = &o->net->arch;
    int both = !strcmp(numbers, matrix), w = a->width;
    const fd_tensor *t = foreign_find(o, numbers);
    if (t && (!both || t->n[0] == 1)) {
        t = foreign_shaped(o, 2, (int[]){ 1, w }, numbers);
        fd_real *to = foreign_next(o);
        for (int i = 0; t && i < w; i++) to[(ptrdiff_t)i * w + i] = t->x[i];
    } else if (!foreign_find(o, matrix)) {
        char name[128];
        foreign_name(o, matrix, name);
        if (!missing)
            foreign_fail(o, "no weights of these skips: are they the identity or none? say so",
                         name);
        foreign_diagonal(foreign_next(o), 0, 0, missing == 1 ? w : 0, w, 1);
    } else {
        foreign_dense(o, matrix);
    }
}

/* gain and bias k of the norms; without weights 1 and 0 [instance norm] */
static void foreign_norm(struct foreign *o, int k)
{
    int layer = o->i;
    o->i = k;
    if (foreign_find(o, "fno_blocks.norm.%d.weight")) {
        foreign_gain(o, "fno_blocks.norm.%d");
    } else {
        fd_real *w = foreign_next(o);
        for (int i = 0; w && i < o->net->arch.width; i++) w[i] = 1;
        foreign_next(o);
    }
    o->i = layer;
}

/* Spectral weights with axes k[] into the next part, from its entry at[] on; one axis of channels
 * is the diagonal of the matrices [separable]. The part stays the next one. */
static void foreign_modes(struct foreign *o, const int k[], const int at[], const char *format)
{
    const fd_arch *a = &o->net->arch;
    const fd_part *p = &o->net->part[o->next];
    const fd_tensor *t = foreign_need(o, format);
    int nd = a->nd, one = t && t->nd == nd + 2, n[FD_MAXD] = { a->width, a->width };
    ptrdiff_t modes = 1, all = 1, w = a->width;
    for (int i = 0; i < nd; i++) {
        modes *= k[i];
        all *= n[i + 2 - one] = o->all[i] ? o->all[i] : k[i];
    }
    n[nd + 2 - one] = 2;
    if (t) t = foreign_shaped(o, nd + 3 - one, n, format);
    for (ptrdiff_t m = 0; t && m < modes; m++) {
        ptrdiff_t to = 0, from = 0, rest = m, step = 1, far = 1;
        for (int i = nd - 1; i >= 0; i--) {
            int there = n[i + 2 - one], before = i < nd - 1 ? (there - k[i]) / 2 : 0;
            to += (rest % k[i] + at[i]) * step;
            from += (rest % k[i] + before) * far;
            rest /= k[i];
            step *= p->n[i];
            far *= there;
        }
        fd_real *r = o->net->w + p->at + to * w * w * 2;
        for (ptrdiff_t i = 0; i < w; i++)
            for (ptrdiff_t j = one ? i : 0; j < (one ? i + 1 : w); j++)
                memcpy(r + 2 * (i * w + j), t->x + 2 * ((one ? i : i * w + j) * all + from),
                       2 * sizeof *r);
    }
}

/* A coordinate from + (to - from) u in place of u, in the first layer, which is linear in it */
static void foreign_bounds(struct foreign *o, const fd_foreign *how)
{
    const fd_arch *a = &o->net->arch;
    int out = o->net->part[0].n[1];
    fd_real *w = o->net->w + o->net->part[0].at + (ptrdiff_t)a->in * out;
    fd_real *b = o->net->w + o->net->part[1].at;
    for (int d = 0; d < a->nd && a->coords != FD_COORD_NONE; d++)
        for (int j = 0; j < out && (how->from[d] != 0 || how->to[d] != 0); j++) {
            b[j] += (fd_real)(how->from[d] * (double)w[d * out + j]);
            w[d * out + j] *= (fd_real)(how->to[d] - how->from[d]);
        }
}

/* --- FNO as its authors had it [FNO; KER; ML]: conv0.weights1 has the modes from 0 on of all axes;
 * in weights2 those of the first axis are below 0, in weights3 of the second, in weights4 both */

static void foreign_fno(struct foreign *o, const int *column)
{
    const fd_arch *a = &o->net->arch;
    const int *n = o->net->part[0].n;
    foreign_kernel(o, 0, NULL, n[0], n[1], column, "fc0.weight");
    foreign_vector(o, 0, "fc0.bias");
    for (o->i = 0; o->i < a->layers; o->i++) {
        for (o->j = 1; o->j <= 1 << (a->nd - 1); o->j++) {
            int at[3] = { 0, 0, 0 };
            for (int i = 0; i < a->nd - 1; i++) if (!((o->j - 1) >> i & 1)) at[i] = a->fno.modes[i];
            foreign_modes(o, a->fno.modes, at, "conv%d.weights%d");
        }
        o->next++;
        foreign_linear(o, "w%d");
    }
    foreign_linear(o, "fc1");
    foreign_linear(o, "fc2");
}

/* --- neuraloperator. 0.2: one tensor for each sign of each of the first axes, the last of them
 * changing fastest; after the second half of the layers no activation. From 0.3 on: one tensor, its
 * modes around 0; an odd number of them leans to the negative side before 2.0, which here is one
 * more, and zero. From 1 on: complex numbers, a channel MLP, coordinates appended inside; without
 * that MLP (2.0) an activation follows twice, which here takes one that passes its input on. */

/* the spectral weights of layer l, in one tensor or in `blocks` of them */
static void foreign_convs(struct foreign *o, int kind, const fd_foreign *how, int l)
{
    const fd_arch *a = &o->net->arch;
    const int half = kind == FD_FROM_NEURALOP_02, new = kind == FD_FROM_NEURALOP;
    const int blocks = half ? 1 << (a->nd - 1) : 1, *own = o->net->part[o->next].n;
    const char *weight = !new ? "fno_blocks.convs.weight.%d.tensor"
                       : "fno_blocks.convs.%d.weight.tensor";
    for (int j = 0; j < blocks; j++) {
        int at[3] = { 0, 0, 0 }, k[3] = { 0 };
        o->i = l * blocks + j;
        if (new && foreign_find(o, "fno_blocks.convs.%d.weight"))
            weight = "fno_blocks.convs.%d.weight";
        const fd_tensor *t = foreign_find(o, weight);
        for (int i = 0; i < a->nd; i++) {
            int last = i == a->nd - 1, there = t ? t->nd - 1 - a->nd + i : 0;
            int has = t && there > 0 ? t->n[there] : 0;
            if (how->modes[i]) {
                o->all[i] = has;
                has = last ? how->modes[i] / 2 + 1 : how->modes[i];
            }
            k[i] = half ? a->fno.modes[i] : !last && has == own[i] - 1 ? own[i] - 1 : own[i];
            if (half && !last && !(j >> (a->nd - 2 - i) & 1)) at[i] = a->fno.modes[i];
        }
        foreign_modes(o, k, at, weight);
    }
    o->i = l;
    o->next++;
}

/* the channel MLP of a layer and its skip */
static void foreign_mix(struct foreign *o, int new, const fd_foreign *how)
{
    const fd_arch *a = &o->net->arch;
    if (!foreign_find(o, new ? "fno_blocks.channel_mlp.%d.fcs.0.weight"
                             : "fno_blocks.mlp.%d.fcs.0.weight")) {
        foreign_pass(o, a->width, a->fno.mix);
        o->next++;                                    /* a gate of 0 */
        return;
    }
    foreign_linear(o, new ? "fno_blocks.channel_mlp.%d.fcs.0" : "fno_blocks.mlp.%d.fcs.0");
    foreign_linear(o, new ? "fno_blocks.channel_mlp.%d.fcs.1" : "fno_blocks.mlp.%d.fcs.1");
    const char *one = new ? "fno_blocks.channel_mlp_skips.%d.weight"
                    : "fno_blocks.mlp_skips.%d.weight";
    const char *matrix = new ? "fno_blocks.channel_mlp_skips.%d.conv.weight" : one;
    if (a->fno.gates) foreign_skip(o, one, matrix, how->mix_skip);
    else foreign_vector(o, 0, one);
}

static void foreign_operator(struct foreign *o, int kind, const fd_foreign *how, const int *column)
{
    const fd_arch *a = &o->net->arch;
    const int *n = o->net->part[0].n;
    const int half = kind == FD_FROM_NEURALOP_02, new = kind == FD_FROM_NEURALOP;
    foreign_kernel(o, 0, NULL, n[0], n[1], column,
                   half ? "lifting.fc.weight" : "lifting.fcs.0.weight");
    foreign_vector(o, 0, half ? "lifting.fc.bias" : "lifting.fcs.0.bias");
    if (a->fno.lift > 0) foreign_linear(o, "lifting.fcs.1");
    for (int l = 0; l < a->layers; l++) {
        foreign_convs(o, kind, how, l);
        foreign_skip(o, "fno_blocks.fno_skips.%d.weight",
                     new ? "fno_blocks.fno_skips.%d.conv.weight" : "fno_blocks.fno_skips.%d.weight",
                     how->skip);
        if (new) foreign_vector(o, 0, "fno_blocks.convs.%d.bias");
        else foreign_vector(o, a->layers, "fno_blocks.convs.bias");
        if (a->fno.norms) foreign_norm(o, a->fno.mix ? 2 * l : l);
        if (!a->fno.mix) continue;
        foreign_mix(o, new, how);
        if (a->fno.norms) foreign_norm(o, 2 * l + 1);
    }
    foreign_linear(o, half ? "projection.fc1" : "projection.fcs.0");
    foreign_linear(o, half ? "projection.fc2" : "projection.fcs.1");
}

/* --- U-ViT. The position of its token of time is added to the last bias of the embedding. Where it
 * has no MLP for time, no skips or no last convolution, those here pass their input on. */

static void foreign_uvit(struct foreign *o)
{
    const fd_arch *a = &o->net->arch;
    int w = a->width, half = a->layers / 2, tokens = 1, kernel[3] = { 3, 3, 3 };
    ptrdiff_t centre = 0;
    for (int i = 0; i < a->nd; i++) {
        tokens *= a->grid[i] / a->vit.patch[i];
        centre = 3 * centre + 1;
    }
    foreign_kernel(o, a->nd, a->vit.patch, a->in, w, NULL, "patch_embed.proj.weight");
    foreign_vector(o, 0, "patch_embed.proj.bias");
    const fd_tensor *pos = foreign_shaped(o, 3, (int[]){ 1, tokens + 1, w }, "pos_embed");
    if (foreign_find(o, "time_embed.0.weight")) {
        foreign_linear(o, "time_embed.0");
        foreign_linear(o, "time_embed.2");
    } else {
        foreign_pass(o, w, 4 * w);
    }
    fd_real *bias = o->net->w + o->net->part[o->next - 1].at, *to = foreign_next(o);
    for (int i = 0; pos && to && i < w; i++) bias[i] += pos->x[i];
    if (pos && to) memcpy(to, pos->x + w, (size_t)tokens * (size_t)w * sizeof *to);
    for (int l = 0; l < a->layers; l++) {
        o->group = l < half ? "in_blocks.%d." : l == half ? "mid_block." : "out_blocks.%d.";
        o->i = l < half ? l : l - half - 1;
        if (l > half && foreign_find(o, "skip_linear.weight")) {
            foreign_linear(o, "skip_linear");
        } else if (l > half) {
            foreign_diagonal(foreign_next(o), 0, 0, w, w, 1);
            foreign_next(o);
        }
        foreign_gain(o, "norm1");
        foreign_dense(o, "attn.qkv.weight");
        if (a->vit.qkv_bias) foreign_vector(o, 0, "attn.qkv.bias");
        foreign_linear(o, "attn.proj");
        foreign_gain(o, "norm2");
        foreign_linear(o, "mlp.fc1");
        foreign_linear(o, "mlp.fc2");
    }
    o->group = "";
    foreign_gain(o, "norm");
    foreign_linear(o, "decoder_pred");
    if (foreign_find(o, "final_layer.weight")) {
        foreign_kernel(o, a->nd, kernel, a->out, a->out, NULL, "final_layer.weight");
        foreign_vector(o, 0, "final_layer.bias");
    } else {
        foreign_diagonal(foreign_next(o), centre * a->out, 0, a->out, a->out, 1);
        foreign_next(o);
    }
}

/* --- Factorised weights: NAME.core and NAME.factors.factor_i [n_i][r_i] are
 * core x_0 U_0 x_1 U_1 .. (Tucker), NAME.weights [r] and the same factors
 * sum_r w_r U_0r (x) U_1r .. (CP). They stand in the list as NAME.tensor, whose numbers are filled
 * in once there is room. --- */

static int foreign_ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end);
}

/* the tensor STEM + end (%d: i); STEM are the first n letters of name */
static const fd_tensor *foreign_part(const fd_tensors *f, const char *name, size_t n,
                                     const char *format, int i)
{
    char end[40];
    snprintf(end, sizeof end, format, i);
    for (int k = 0; k < f->count; k++) {
        const char *s = f->tensor[k].name;
        if (!strncmp(s, name, n) && !strcmp(s + n, end)) return &f->tensor[k];
    }
    return NULL;
}

static const char foreign_first[] = ".factors.factor_0";

/* the shape of the whole tensor whose first factor is u */
static void foreign_whole(struct foreign *o, const fd_tensors *f, const fd_tensor *u, fd_tensor *t)
{
    size_t n = strlen(u->name) - strlen(foreign_first);
    double size = 1;
    const fd_tensor *core = foreign_part(f, u->name, n, ".core", 0);
    const fd_tensor *w = foreign_part(f, u->name, n, ".weights", 0);
    int good = core ? core->nd > 1 && core->n[core->nd - 1] == 2 : w && w->nd == 2 && w->n[1] == 2;
    for (t->nd = 0; u; u = foreign_part(f, u->name, n, ".factors.factor_%d", t->nd)) {
        good = good && t->nd < FD_MAXD - 1 && u->nd == 3 && u->n[2] == 2
            && (core ? t->nd < core->nd - 1 && u->n[1] == core->n[t->nd] : u->n[1] == w->n[0]);
        if (!good) { foreign_fail(o, "not the factors of a Tucker or CP tensor", u->name); return; }
        t->n[t->nd++] = u->n[0];
        size *= u->n[0];
    }
    if (size > (double)(PTRDIFF_MAX / 64)) foreign_fail(o, "too large", t->name);
    if (core && t->nd != core->nd - 1) foreign_fail(o, "factors are missing", core->name);
    t->n[t->nd++] = 2;
}

/* the list g with whole tensors, without their numbers, in place of factors */
static void foreign_list(struct foreign *o, fd_arena *a, const fd_tensors *f, fd_tensors *g)
{
    *g = *f;
    g->tensor = fd_raw(a, fd_tensor, f->count);
    for (int i = g->count = 0; g->tensor && i < f->count && !o->st->code; i++) {
        fd_tensor *t = &g->tensor[g->count];
        const char *name = f->tensor[i].name, *factor = strstr(name, ".factors.factor_");
        size_t n = foreign_ends(name, ".core") ? strlen(name) - 5
                 : foreign_ends(name, ".weights") ? strlen(name) - 8 : 0;
        if (n && foreign_part(f, name, n, foreign_first, 0)) continue;
        if (factor && !foreign_ends(name, foreign_first)) continue;
        *t = f->tensor[i];
        g->count++;
        if (!factor) continue;
        n = (size_t)(factor - name);
        char *whole = fd_new(a, char, n + 8);
        if (!whole) return;
        memcpy(whole, name, n);
        memcpy(whole + n, ".tensor", 8);
        foreign_whole(o, f, &f->tensor[i], t);
        t->name = whole;
        t->x = NULL;
    }
}

/* y[o][j][i] = sum_r u[j][r] x[o][r][i], complex numbers */
static void foreign_product(ptrdiff_t outer, int r, ptrdiff_t inner, int n, const fd_real *x,
                            const fd_real *u, fd_real *y)
{
    for (ptrdiff_t k = 0; k < outer * n * inner; k++) {
        ptrdiff_t i = k % inner, j = k / inner % n, o = k / inner / n;
        double re = 0, im = 0;
        for (ptrdiff_t q = 0; q < r; q++) {
            const fd_real *b = u + 2 * (j * r + q), *c = x + 2 * ((o * r + q) * inner + i);
            re += (double)b[0] * (double)c[0] - (double)b[1] * (double)c[1];
            im += (double)b[0] * (double)c[1] + (double)b[1] * (double)c[0];
        }
        y[2 * k] = (fd_real)re;
        y[2 * k + 1] = (fd_real)im;
    }
}

/* the numbers of t where it is such a tensor: it has none yet */
static void foreign_fill(struct foreign *o, const fd_tensors *f, fd_tensor *t, fd_arena *a)
{
    const double most = (double)(PTRDIFF_MAX / 64);
    if (t->x) return;
    size_t n = strlen(t->name) - 7;
    const fd_tensor *core = foreign_part(f, t->name, n, ".core", 0);
    const fd_tensor *w = core ? NULL : foreign_part(f, t->name, n, ".weights", 0);
    ptrdiff_t count = 1;
    int modes = t->nd - 1, r = w ? w->n[0] : 0;
    fd_real *x = core ? core->x : NULL;
    const fd_real *u[FD_MAXD];
    for (int i = 0; i < modes; i++) u[i] = foreign_part(f, t->name, n, ".factors.factor_%d", i)->x;
    for (int i = 0; i < modes && core; i++) {
        ptrdiff_t outer = 1, inner = 1;
        for (int j = 0; j < i; j++) outer *= t->n[j];
        for (int j = i + 1; j < modes; j++) inner *= core->n[j];
        if ((double)outer * t->n[i] * (double)inner > most) {
            foreign_fail(o, "too large", t->name);
            return;
        }
        fd_real *y = fd_raw(a, fd_real, 2 * outer * t->n[i] * inner);
        if (!y) return;
        foreign_product(outer, core->n[i], inner, t->n[i], x, u[i], y);
        x = y;
    }
    t->x = x;
    if (core) return;
    for (int i = 0; i < modes; i++) count *= t->n[i];
    t->x = fd_raw(a, fd_real, 2 * count);
    for (ptrdiff_t k = 0; t->x && k < count; k++) {
        double sum[2] = { 0, 0 };
        for (ptrdiff_t q = 0; q < r; q++) {
            double re = (double)w->x[2 * q], im = (double)w->x[2 * q + 1];
            ptrdiff_t rest = k;
            for (int i = modes - 1; i >= 0; i--) {
                const fd_real *v = u[i] + 2 * (rest % t->n[i] * r + q);
                double was = re;
                rest /= t->n[i];
                re = was * (double)v[0] - im * (double)v[1];
                im = was * (double)v[1] + im * (double)v[0];
            }
            sum[0] += re;
            sum[1] += im;
        }
        for (int i = 0; i < 2; i++) t->x[2 * k + i] = (fd_real)sum[i];
    }
}

/* --- Which program, which network --- */

/* whole numbers and truth values, by the names that .npy and .safetensors have for them; BF16 and
 * half are none */
static int foreign_counts(const char *type)
{
    if (type && *type && strchr("<>|=", *type)) type++;
    return type && *type && strchr("iuIUbBhHlLqQ?", *type) && type[1] != 'F' && type[1] != 'a';
}

/* what may be left over: a batch norm of FNO3d, which its forward pass does not use; what counts,
 * such as batches seen or positions, and is no weight */
static int foreign_unused(const struct foreign *o, int kind, const fd_tensor *t)
{
    int fno = kind == FD_FROM_FNO && !strncmp(t->name, o->prefix, (size_t)o->length);
    return foreign_counts(t->type) || (fno && !strncmp(t->name + o->length, "bn", 2));
}

static int foreign_look(struct foreign *o, fd_status *st, const fd_tensors *f)
{
    static const struct { const char *mark; int kind; } marks[] = {
        { "conv0.weights1", FD_FROM_FNO }, { "fno_blocks.convs.0.", FD_FROM_NEURALOP },
        { "fno_blocks.convs.weight.", FD_FROM_NEURALOP_03 },
        { "patch_embed.proj.weight", FD_FROM_UVIT } };
    struct foreign none = { .f = f, .st = st, .prefix = "", .group = "" };
    *o = none;
    for (int i = 0; f && i < f->count; i++)
        for (int j = 0; j < 4; j++) {
            const char *name = f->tensor[i].name, *at = strstr(name, marks[j].mark);
            if (!at || (at > name && at[-1] != '.')) continue;
            o->prefix = name;
            o->length = (int)(at - name);
            if (j == 3 && !foreign_find(o, "mid_block.norm1.weight")) continue;
            return j == 2 && foreign_find(o, "lifting.fc.weight") ? FD_FROM_NEURALOP_02
                                                                  : marks[j].kind;
        }
    return FD_FROM_NONE;
}

/* extent i of a tensor that has it; 0 with an error */
static int foreign_extent(struct foreign *o, const char *format, int i)
{
    const fd_tensor *t = foreign_need(o, format);
    if (t && t->nd <= i) foreign_fail(o, "tensor with too few axes", t->name + o->length);
    return t && t->nd > i ? t->n[i] : 0;
}

/* in, coordinates, time of a Fourier operator whose lifting has `all` inputs; where they stand */
static void foreign_inputs(struct foreign *o, int kind, const fd_foreign *how, int all, fd_arch *a,
                           int **column, fd_arena *mem)
{
    a->coords = how->coords ? how->coords : kind == FD_FROM_FNO ? FD_COORD_CLOSED
              : kind == FD_FROM_NEURALOP ? FD_COORD_OPEN : FD_COORD_NONE;
    int c = a->coords != FD_COORD_NONE ? a->nd : 0, inside = kind == FD_FROM_NEURALOP;
    a->time = how->time ? how->time
            : !inside && c && all == a->out + c + 1 ? FD_TIME_CHANNEL : FD_TIME_NONE;
    int clock = a->time == FD_TIME_CHANNEL;
    a->in = all - c - clock;
    if (!clock && a->time != FD_TIME_NONE)
        FD_FAIL(o->st, FD_EARG, "fd_net_from", "time is a channel or none");
    if (a->in < 1)
        FD_FAIL(o->st, FD_EDATA, "fd_net_from", "too few inputs: all, coordinates, time", all, c,
                clock);
    *column = fd_raw(mem, int, all > 0 ? all : 1);
    for (int i = 0; *column && i < all; i++) {
        int axis = i - a->in;
        (*column)[i] = i < a->in ? i
                     : axis < c ? a->in + (how->reversed ? c - 1 - axis : axis) + (inside && clock)
                     : a->in + (inside ? 0 : c);
    }
}

static void foreign_uvit_arch(struct foreign *o, const fd_foreign *how, fd_arch *a)
{
    const fd_tensor *p = foreign_need(o, "patch_embed.proj.weight");
    if (p && (p->nd < 3 || p->nd > 5))
        foreign_fail(o, "patches have 1 to 3 axes", p->name + o->length);
    if (o->st->code) return;
    a->kind = FD_UVIT;
    a->nd = p->nd - 2;
    a->in = a->out = p->n[1];
    a->width = p->n[0];
    while (o->group = "in_blocks.%d.", foreign_find(o, "norm1.weight")) o->i++;
    a->layers = 2 * o->i + 1;
    o->group = "";
    o->i = 0;
    a->vit.mlp = foreign_extent(o, "mid_block.mlp.fc1.weight", 0);
    a->vit.qkv_bias = foreign_find(o, "mid_block.attn.qkv.bias") != NULL;
    a->vit.heads = how->heads ? how->heads : a->width % 64 ? 0 : a->width / 64;
    if (!a->vit.heads && !o->st->code)
        FD_FAIL(o->st, FD_EARG, "fd_net_from", "heads must be given, their width is not 64: width",
                a->width);
    a->time = FD_TIME_TOKEN;
    a->vit.pos = FD_POS_LEARNED;
    a->embed = a->width;
    if (a->tscale == 0) a->tscale = 999;
    a->eps = 1e-5;
    int tokens = foreign_extent(o, "pos_embed", 1) - 1;
    int side = (int)rint(pow(tokens > 0 ? tokens : 1, 1. / a->nd));
    for (int i = 0; i < a->nd; i++) {
        a->vit.patch[i] = p->n[i + 2];
        int square = a->vit.patch[i] > 0 && a->vit.patch[i] <= 64 && side < INT_MAX / 64;
        a->grid[i] = how->grid[i] ? how->grid[i] : square ? side * a->vit.patch[i] : 0;
    }
}

/* what looks like a network that is known, but is not: says what it is */
static void foreign_refuse(struct foreign *o, int kind)
{
    static const struct { int kind; const char *name, *why; } known[] = {
        { FD_FROM_FNO, "q.mlp1.weight", "the second release of FNO (p, mlp0, q) is not known; the "
          "first one (fc0, fc1, fc2) and neuraloperator are" },
        { FD_FROM_NEURALOP_03, "fno_blocks.convs.weight.tensor", "one tensor for all layers "
          "(joint_factorization): save that of layer i as fno_blocks.convs.weight.i.tensor" },
        { FD_FROM_NEURALOP_02, "fno_blocks.convs.weight.tensor", "one tensor for all layers "
          "(joint_factorization): save that of block i as fno_blocks.convs.weight.i.tensor" },
        { FD_FROM_UVIT, "label_emb.weight", "a U-ViT with classes: only those without are known" }
    };
    for (int i = 0; i < 4; i++)
        if (known[i].kind == kind && foreign_find(o, known[i].name))
            foreign_fail(o, known[i].why, known[i].name);
    if (kind != FD_FROM_FNO) return;
    /* From August 2021 on w are convolutions of as many axes as the data, and batch norms are there
     * but not used. */
    const fd_tensor *r = foreign_find(o, "conv0.weights1"), *w = foreign_find(o, "w0.weight");
    if (foreign_find(o, "bn0.weight") && r && w && w->nd < r->nd - 1)
        foreign_fail(o, "FNO of before August 2021, which uses its batch norms: fold each into "
                     "conv and w, then leave it out", "bn0.weight");
}

/* The architecture of an operator of neuraloperator up to its modes; its spectral weights */
static const fd_tensor *foreign_blocks(struct foreign *o, int kind, fd_arch *a)
{
    const int half = kind == FD_FROM_NEURALOP_02, list = kind != FD_FROM_NEURALOP;
    const char *bias = list ? "fno_blocks.convs.bias" : "fno_blocks.convs.%d.bias";
    const char *w = list ? "fno_blocks.convs.weight.%d.tensor"
                  : "fno_blocks.convs.%d.weight.tensor";
    const char *mlp = list ? "fno_blocks.mlp.0.fcs.0.weight"
                    : "fno_blocks.channel_mlp.0.fcs.0.weight";
    const fd_tensor *b = foreign_need(o, bias);
    if (!list && foreign_find(o, "fno_blocks.convs.0.weight")) w = "fno_blocks.convs.%d.weight";
    const fd_tensor *r = foreign_need(o, w);
    while (!list && foreign_find(o, bias)) o->i++;
    a->layers = list && b && b->nd ? b->n[0] : o->i;
    a->nd = b ? b->nd - 1 - list : 0;
    a->fno.proj = foreign_extent(o, half ? "projection.fc1.weight" : "projection.fcs.0.weight", 0);
    a->out = foreign_extent(o, half ? "projection.fc2.weight" : "projection.fcs.1.weight", 0);
    o->i = 0;
    if (half) a->fno.acts = (a->layers + 1) / 2;
    else a->fno.lift = foreign_extent(o, "lifting.fcs.0.weight", 0);
    if (r && a->fno.lift == r->n[0] && !foreign_find(o, "lifting.fcs.1.weight")) a->fno.lift = -1;
    const fd_tensor *gate = foreign_find(o, list ? "fno_blocks.mlp_skips.0.weight"
                                                 : "fno_blocks.channel_mlp_skips.0.weight");
    if (!half && foreign_find(o, mlp)) {
        a->fno.mix = foreign_extent(o, mlp, 0);
        a->fno.gates = !gate || gate->nd < 2 || gate->n[0] != 1;
        if (list) a->fno.mix_acts = a->layers;
    } else if (!list && r && r->nd && r->n[0] <= 1 << 15) a->fno.mix = 2 * r->n[0];
    return r;
}

/* the modes of each axis; r: spectral weights, whose axis `first` is that of the first modes */
static void foreign_waves(struct foreign *o, int kind, const fd_foreign *how, const fd_tensor *r,
                          int first, fd_arch *a)
{
    const int whole = kind == FD_FROM_FNO || kind == FD_FROM_NEURALOP_02;
    const int old = kind == FD_FROM_NEURALOP_03 || how->version == 1;
    for (int i = 0; i < a->nd; i++) {
        int k = r->n[first + i], last = i == a->nd - 1;
        int want = last ? how->modes[i] / 2 + 1 : how->modes[i];
        if (how->modes[i]) {
            if (how->modes[i] < 1 || want > k || whole) {
                FD_FAIL(o->st, FD_EARG, "fd_net_from", "modes that are not all are a part of "
                        "those of neuraloperator 0.3 or later: axis, modes, those there", i,
                        how->modes[i], k);
                return;
            }
            k = want;
        }
        a->fno.modes[i] = a->kind == FD_FNO_ORIGINAL || k > 1 << 16 ? k
                    : !last ? k + (old && k % 2) : k > 1 ? 2 * (k - 1) : 1;
    }
}

static void foreign_arch(struct foreign *o, int kind, const fd_foreign *how, fd_arch *a,
                         int **column, fd_arena *mem)
{
    memset(a, 0, sizeof *a);
    a->act = how->act;
    a->tscale = how->tscale;
    a->edges = FD_EDGES_PLAIN;
    foreign_refuse(o, kind);
    if (o->st->code) return;
    if (kind == FD_FROM_UVIT) { foreign_uvit_arch(o, how, a); return; }
    memcpy(a->fno.pad, how->pad, sizeof a->fno.pad);
    const int fno = kind == FD_FROM_FNO, half = kind == FD_FROM_NEURALOP_02;
    const char *lift = fno ? "fc0.weight" : half ? "lifting.fc.weight" : "lifting.fcs.0.weight";
    const fd_tensor *r;
    int first = 2;
    a->kind = fno || half ? FD_FNO_ORIGINAL : FD_FNO_BLOCK;
    if (fno) {
        r = foreign_need(o, "conv%d.weights1");
        while (foreign_find(o, "conv%d.weights1")) o->i++;
        a->layers = o->i;
        a->nd = r ? r->nd - 3 : 0;
        a->fno.proj = foreign_extent(o, "fc1.weight", 0);
        a->out = foreign_extent(o, "fc2.weight", 0);
    } else {
        r = foreign_blocks(o, kind, a);
        first = r ? r->nd - 1 - a->nd : 0;
    }
    o->i = 0;
    if (o->st->code) return;
    if (how->norms > 0) a->fno.norms = how->norms;
    else if (foreign_find(o, "fno_blocks.norm.0.weight")) a->fno.norms = 1;
    else if (how->norms < 0) a->fno.norms = r->n[0];
    if (a->nd < 1 || a->nd > 3 || first < 1 || first > 2 || r->n[r->nd - 1] != 2) {
        foreign_fail(o, "not complex weights of 1 to 3 axes: wants a last axis of 2",
                     r->name + o->length);
        return;
    }
    a->width = r->n[0];
    foreign_waves(o, kind, how, r, first, a);
    if (!o->st->code)
        foreign_inputs(o, kind, how, foreign_extent(o, lift, 1), a, column, mem);
}

int fd_foreign_kind(const fd_tensors *f)
{
    fd_status st = { 0 };
    struct foreign o;
    return foreign_look(&o, &st, f);
}

const char *fd_foreign_name(int kind)
{
    static const char *const names[] = { "none", "FNO", "neuraloperator 0.2", "neuraloperator 0.3",
                                         "neuraloperator 1 or later", "U-ViT" };
    return names[kind > 0 && kind < FD_FOREIGN ? kind : 0];
}

fd_net *fd_net_from(fd_arena *a, const fd_tensors *f, const fd_foreign *how)
{
    static const fd_foreign usual;
    struct foreign o;
    fd_arch arch;
    fd_tensors g;
    fd_arena before = *a, scratch;
    int *column = NULL, kind = foreign_look(&o, a->st, f);
    if (!how) how = &usual;
    if (a->st->code) return NULL;
    if (!kind) {
        foreign_fail(&o, "no names of a network that is known",
                     f && f->count ? f->tensor[0].name : "");
    } else {
        foreign_list(&o, a, f, &g);
        o.f = &g;
        foreign_arch(&o, kind, how, &arch, &column, a);
    }
    if (!a->st->code) {
        fd_status bad = { 0 };
        fd_arch whole = arch;
        if (!net_arch(&whole, &bad)) {
            bad.code = FD_EDATA, bad.where = "fd_net_from";
            fd_fail_as(a->st, &bad);
        }
    }
    fd_net *net = a->st->code ? NULL : net_plan(a, &arch);
    if (net && net_room(a, net)) {
        scratch = *a;
        o.net = net;
        o.used = fd_new(&scratch, char, g.count);
        for (int i = 0; i < g.count && !a->st->code; i++)
            foreign_fill(&o, f, &g.tensor[i], &scratch);
        if (a->st->code) net = NULL;
        else if (kind == FD_FROM_FNO) foreign_fno(&o, column);
        else if (kind == FD_FROM_UVIT) foreign_uvit(&o);
        else foreign_operator(&o, kind, how, column);
        if (net && !a->st->code && kind != FD_FROM_UVIT) foreign_bounds(&o, how);
        for (int i = 0; net && i < g.count; i++)
            if (!o.used[i] && !foreign_unused(&o, kind, &g.tensor[i]))
                foreign_fail(&o, "tensor that this network has no place for", g.tensor[i].name);
    }
    if (!a->st->code) return net;
    *a = before;
    return NULL;
}
#endif
