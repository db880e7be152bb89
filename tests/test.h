/* test.h -- the harness: a check counts as passed or failed; a failure prints where, what was got
 * and wanted, and the error in units of the tolerance. */
#ifndef TEST_H
#define TEST_H
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#define OK(cond, ...) test_ok(__FILE__, __LINE__, !!(cond), #cond, __VA_ARGS__)
/* |got - want| <= tol; NaN fails */
#define NEAR(got, want, tol, ...) test_near(__FILE__, __LINE__, (got), (want), (tol), __VA_ARGS__)
void test_ok(const char *file, int line, int cond, const char *text, const char *fmt, ...);
void test_near(const char *file, int line, double got, double want, double tol, const char *fmt,
               ...);

/* max_i |x_i - y_i|, and the relative L2 error |x - y| / |y| */
double test_maxdiff(ptrdiff_t n, const fd_real *x, const fd_real *y);
double test_rel(ptrdiff_t n, const fd_real *x, const fd_real *y);
/* a 64-bit hash of bytes (FNV-1a), for tests of equal bits */
uint64_t test_hash(const void *p, size_t n);
/* count numbers of `size` bytes in little-endian order, as files and published hashes have them; to
 * may be from */
void *test_little(void *to, const void *from, size_t size, size_t count);
/* an arena of the given bytes from malloc, over the status st; freed by test_free */
fd_arena test_arena(size_t size, fd_status *st);
void test_free(void);
/* run(self, out, a) with arenas of every size up to that which suffices, on 1 and 3 threads. out
 * [n], at first `before`, must stay so where the run fails, with FD_ENOMEM, and must else be what
 * plenty of memory gives. */
void test_starve(const char *what, void (*run)(const void *self, fd_real *out, fd_arena a),
                 const void *self,
                 ptrdiff_t n, const fd_real *before);
/* 1: fewer cases (the environment has TEST_BRIEF): machines are emulated */
int test_brief(void);
/* a file name in the scratch folder of this process, and that folder */
const char *test_path(const char *name);
const char *test_folder(void);

/* Functions on the tape of up to three inputs in lo..hi (0, 0: -1..1). With y = sum(w f(x)), the
 * gradient of y and that of sum_i v_i dy/dx_i are held against differences of fourth order, to tol
 * of their largest entry; the first one on an FD_GRAD tape against that on an FD_GRAD2 tape. */
enum { TEST_IN = 3 };
typedef struct {
    const char *name;
    fd_var *(*f)(fd_tape *t, fd_var *const x[], const int o[]);
    int in, nd[TEST_IN], n[TEST_IN][FD_MAXD], o[FD_MAXD + 2];
    double lo, hi;
} test_graph;
void test_graphs(size_t count, const test_graph *g, double tol);

/* DDPM's chain with linear betas */
static inline fd_process ddpm(fd_arena *a, const fd_cov *noise, int T, double beta1, double betaT)
{
    double beta[1000];
    fd_beta_schedule(FD_BETA_LINEAR, T, beta1, betaT, beta, a->st);
    return fd_ddpm_betas(a, noise, T, beta);
}

/* n numbers N(0, 1) of a seed; NULL where the arena has no room */
static inline fd_real *normals(fd_arena *a, int seed, ptrdiff_t n)
{
    fd_real *x = fd_raw(a, fd_real, n);
    if (x) fd_normal(fd_seed((uint64_t)seed), n, x);
    return x;
}

/* what a status says; the next call writes over it */
static inline const char *explain(const fd_status *st)
{
    static char text[300];
    fd_explain(st, text, sizeof text);
    return text;
}

/* the call fails with this code and a line that holds the text, in the status of the arena a; the
 * failure is forgotten */
#define SAYS(call, want, text) \
    do { call; OK(a.st->code == (want) && strstr(explain(a.st), text), "%s: '%s'", #call, \
                  explain(a.st)); a.st->code = FD_OK; } while (0)

/* threads to use from here on, and how many there may be; nothing without OpenMP */
static inline void test_use_threads(int n)
{
#ifdef _OPENMP
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

static inline int test_most_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

/* TOL: a tolerance, the first in double, the second in float */
#ifdef FD_DOUBLE
#define EPS 2.220446049250313e-16
#define TOL(d, f) (d)
#else
#define EPS 1.1920929e-7
#define TOL(d, f) (f)
#endif
#endif
