/* test.c -- all tests: `test [prefix]` runs the groups whose name starts so; prints failures only,
 * then `N passed, N failed`. The groups are in test_*.c. */
#define _POSIX_C_SOURCE 200809L                   /* getpid */
#include "test.h"
#include <dirent.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static int passed, failed, shown;
static const char *group = "";

static void report(const char *file, int line)
{
    failed++;
    if (shown++ < 200) printf("%s:%d: %s: ", file, line, group);
}

void test_ok(const char *file, int line, int cond, const char *text, const char *fmt, ...)
{
    va_list ap;
    if (cond) { passed++; return; }
    report(file, line);
    if (shown > 200) return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf(" [%s]\n", text);
}

void test_near(const char *file, int line, double got, double want, double tol, const char *fmt,
               ...)
{
    va_list ap;
    double err = fabs(got - want);
    if (err <= tol) { passed++; return; }
    report(file, line);
    if (shown > 200) return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf(": got %.15g, want %.15g, error %.3g = %.3g tolerances\n", got, want, err, err / tol);
}

double test_maxdiff(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double m = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double e = fabs((double)x[i] - (double)y[i]);
        if (!(e <= m)) m = e;                           /* NaN stays */
    }
    return m;
}

double test_rel(ptrdiff_t n, const fd_real *x, const fd_real *y)
{
    double d = 0, r = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double e = (double)x[i] - (double)y[i];
        d += e * e;
        r += (double)y[i] * (double)y[i];
    }
    return sqrt(d / (r > 0 ? r : 1));
}

uint64_t test_hash(const void *p, size_t n)
{
    const unsigned char *c = p;
    uint64_t h = 14695981039346656037u;
    while (n--) h = (h ^ *c++) * 1099511628211u;
    return h;
}

void *test_little(void *to, const void *from, size_t size, size_t count)
{
    const uint16_t one = 1;
    unsigned char first, *p = memmove(to, from, size * count);
    memcpy(&first, &one, 1);
    for (size_t i = 0; !first && i < count; i++, p += size)
        for (size_t k = 0; k < size / 2; k++) {
            const unsigned char c = p[k];
            p[k] = p[size - 1 - k];
            p[size - 1 - k] = c;
        }
    return to;
}

static void *held[64];
static int nheld;

fd_arena test_arena(size_t size, fd_status *st)
{
    void *m = malloc(size ? size : 1);
    if (!m || nheld == 64) { printf("test: no memory for an arena of %zu bytes\n", size); exit(1); }
    held[nheld++] = m;
    return fd_arena_over(m, size, st);
}

void test_free(void) { while (nheld) free(held[--nheld]); }

void test_starve(const char *what, void (*run)(const void *self, fd_real *out, fd_arena a),
                 const void *self,
                 ptrdiff_t n, const fd_real *before)
{
    enum { SIZE = 1 << 26 };
    const size_t bytes = (size_t)n * sizeof *before;
    const int most = test_most_threads();
    fd_real *want = malloc(bytes), *out = malloc(bytes);
    char *mem = malloc(SIZE);
    if (!want || !out || !mem) { printf("test: no memory\n"); exit(1); }
    for (int threads = 1; threads <= 3; threads += 2) {
        fd_status st;
        int starved = 0;
        test_use_threads(threads);
        memcpy(want, before, bytes);
        run(self, want, fd_arena_over(mem, SIZE, &st));
        OK(!st.code && memcmp(want, before, bytes), "%s: %s", what, st.code
           ? st.what : "does nothing");
        for (size_t size = 0; size < SIZE; size += 1 + size / 16, starved++) {
            memcpy(out, before, bytes);
            run(self, out, fd_arena_over(mem, size, &st));
            if (!st.code) break;
            if (st.code != FD_ENOMEM || memcmp(out, before, bytes))
                OK(0, "%s, %d threads, %d bytes: code %d, %s", what, threads, (int)size, st.code,
                   memcmp(out, before, bytes) ? "touched" : "untouched");
        }
        OK(!st.code && !memcmp(out, want, bytes), "%s, %d threads: other results", what, threads);
#ifdef FD_PLAIN                       /* loops over entries need none */
        if (strncmp(what, "fd_gemm", 7) == 0) starved = 1;
#endif
        OK(starved, "%s: needs no memory", what);
    }
    test_use_threads(most);
    free(want);
    free(out);
    free(mem);
}

int test_brief(void) { return getenv("TEST_BRIEF") != NULL; }

/* Several variants are tested at the same time: each process has a folder of its own, which goes
 * when it ends; its children share it. */
const char *test_folder(void)
{
    static char dir[48];
    if (!*dir) {
        snprintf(dir, sizeof dir, "build/scratch/%ld", (long)getpid());
        mkdir("build", 0777);
        mkdir("build/scratch", 0777);
        mkdir(dir, 0777);
    }
    return dir;
}

const char *test_path(const char *name)
{
    static char path[8][256];
    static int k;
    char *p = path[k++ & 7];
    snprintf(p, sizeof path[0], "%s/%s", test_folder(), name);
    return p;
}

static void remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)); ) {
        char in[512];
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(in, sizeof in, "%s/%.200s", dir, e->d_name);
        if (remove(in)) remove_folder(in);
    }
    if (d) closedir(d);
    remove(dir);
}

enum { GRAPH_MOST = 256 };                            /* entries of an input */
typedef fd_real graph_in[TEST_IN][GRAPH_MOST];

static int graph_count(const test_graph *g, int i)
{
    int p = 1;
    for (int k = 0; k < g->nd[i]; k++) p *= g->n[i][k];
    return p;
}

/* order 0: sum(w f); order 1: sum_i sum(v_i d/dx_i sum(w f)); d: the gradient of it, or NULL */
static double graph_value(fd_arena a, const test_graph *g, int mode, int order, graph_in x,
                          const fd_real *w, graph_in v, graph_in d)
{
    fd_tape t = fd_tape_begin(&a, mode);
    fd_var *in[TEST_IN], *dx[TEST_IN], *s = NULL;
    char why[256];
    double sum = 0;
    for (int i = 0; i < g->in; i++) in[i] = fd_param(&t, g->nd[i], g->n[i], x[i], NULL);
    fd_var *y = g->f(&t, in, g->o);
    y = y ? fd_mul(&t, y, fd_input(&t, y->nd, y->n, w)) : NULL;
    if (order) {
        fd_grad(&t, y, NULL, g->in, in, dx);
        for (int i = 0; i < g->in; i++) {
            fd_var *p = fd_mul(&t, dx[i], fd_input(&t, g->nd[i], g->n[i], v[i]));
            p = fd_sum_to(&t, p, 0, NULL);
            s = s ? fd_add(&t, s, p) : p;
        }
        y = s;
    }
    for (ptrdiff_t i = 0; y && i < fd_count(y); i++) sum += (double)y->x[i];
    for (int i = 0; d && i < g->in; i++)
        memset(d[i], 0, sizeof d[i]);                              /* of a linear one it stays so */
    if (d && y && y->needs) {
        fd_grad(&t, y, NULL, g->in, in, dx);
        for (int i = 0; i < g->in && dx[i]; i++)
            memcpy(d[i], dx[i]->x, (size_t)fd_count(dx[i]) * sizeof **d);
    }
    OK(!fd_explain(a.st, why, sizeof why), "%s: %s", g->name, why);
    fd_tape_end(&t);
    return sum;
}

/* against differences; order 0 first */
static void graph_check(fd_arena a, const test_graph *g, int order, graph_in x, const fd_real *w,
                        graph_in v, double tol)
{
    static const int step[4] = { -2, -1, 1, 2 }, c[4] = { 1, -8, 8, -1 };
    static graph_in d, e;
    const double h = TOL(1e-3, 3e-2);
    double size = 1;
    graph_value(a, g, FD_GRAD2, order, x, w, v, d);
    if (!order) graph_value(a, g, FD_GRAD, order, x, w, v, e);
    for (int i = 0; i < g->in; i++)
        for (int k = 0; k < graph_count(g, i); k++) {
            double want = (double)d[i][k];
            size = fmax(size, fabs(want));
            if (!order)
                NEAR((double)e[i][k], want, TOL(1e-14, 1e-5) * (4 + fabs(want)),
                     "%s: FD_GRAD and FD_GRAD2, input %d, entry %d", g->name, i, k);
        }
    for (int i = 0; i < g->in; i++)
        for (int k = 0; k < graph_count(g, i); k++) {
            fd_real old = x[i][k];
            double diff = 0;                          /* error h^4 f(5)/30 */
            for (int j = 0; j < 4; j++) {
                x[i][k] = (fd_real)((double)old + step[j] * h);
                diff += c[j] / (12 * h)
                        * graph_value(a, g, order ? FD_GRAD2 : FD_EVAL, order, x, w, v, NULL);
            }
            x[i][k] = old;
            NEAR((double)d[i][k], diff, tol * size, "%s, derivative %d of input %d, entry %d",
                 g->name, order + 1, i, k);
        }
}

void test_graphs(size_t count, const test_graph *g, double tol)
{
    static graph_in x, v;
    static fd_real w[GRAPH_MOST];
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    for (size_t r = 0; r < count; r++, g++) {
        double lo = g->lo < g->hi ? g->lo : -1, hi = g->lo < g->hi ? g->hi : 1;
        for (int i = 0; i < g->in; i++) {
            fd_uniform(fd_stream(fd_seed(r), 'x', (uint32_t)i), GRAPH_MOST, x[i]);
            fd_normal(fd_stream(fd_seed(r), 'v', (uint32_t)i), GRAPH_MOST, v[i]);
            for (int k = 0; k < GRAPH_MOST; k++)
                x[i][k] = (fd_real)(lo + (hi - lo) * (double)x[i][k]);
        }
        fd_normal(fd_stream(fd_seed(r), 'w', 0), GRAPH_MOST, w);
        for (int order = 0; order < 2; order++) graph_check(a, g, order, x, w, v, tol);
    }
}

#ifndef GROUPS                                         /* some of them: see tests/cross.sh */
#define GROUPS X(random) X(algebra) X(fft) X(spaces) X(cov) X(files) X(read) X(plainread) \
    X(metrics) X(processes) X(models) X(samplers) X(moments) X(training) X(laws) X(losses) \
    X(steps) X(density) X(interpolants) X(exact) X(posterior) X(amortised) X(mcmc) \
    X(ensembles) X(released) X(bridges) X(shapes) X(steer) X(rewards) X(failures) X(edges) \
    X(pde) X(tape) X(networks) X(arch) \
    X(define) X(foreign) X(contracts)
#endif
#define X(g) void test_##g(void);
GROUPS
#undef X

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } groups[] = {
#define X(g) { #g, test_##g },
        GROUPS
#undef X
    };
    const char *prefix = argc > 1 ? argv[1] : "";
    int ran = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_folder();
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (strncmp(groups[i].name, prefix, strlen(prefix))) continue;
        group = groups[i].name;
        groups[i].run();
        test_free();
        ran++;
    }
    remove_folder(test_folder());
    if (!ran) { printf("test: no group of tests starts with '%s'\n", prefix); failed++; }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
