/* test.c -- all tests: `test [prefix]` runs the groups whose name starts so; prints failures only, then
 * `N passed, N failed`. The groups are in test_*.c. */
#include "test.h"
#include <stdarg.h>
#include <sys/stat.h>

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

void test_near(const char *file, int line, double got, double want, double tol, const char *fmt, ...)
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

const char *test_path(const char *name)
{
    static char path[8][256];
    static int k;
    char *p = path[k++ & 7];
    mkdir("build", 0777);
    mkdir("build/scratch", 0777);
    snprintf(p, sizeof path[0], "build/scratch/%s", name);
    return p;
}

#define GROUPS X(random) X(algebra) X(fft) X(spaces) X(cov) X(files) X(metrics) X(processes) X(models) \
    X(samplers) X(training) X(laws) X(losses) X(chains) X(density) X(tape) X(networks) X(arch) X(foreign)
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
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (strncmp(groups[i].name, prefix, strlen(prefix))) continue;
        group = groups[i].name;
        groups[i].run();
        test_free();
        ran++;
    }
    if (!ran) { printf("test: no group of tests starts with '%s'\n", prefix); failed++; }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
