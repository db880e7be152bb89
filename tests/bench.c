/* bench.c -- how fast: kernels, and whole training and sampling steps, on one and two threads.
 *
 *     bench [PREFIX [SECONDS]]   the rows whose work starts so; the length of one measurement [.05]
 *
 * A row has up to four columns: ours and a peer's, on one and two threads. They are measured in
 * turn, ROUNDS times over; a time is a median over the rounds, a ratio (peer / ours: above 1 we are
 * faster) the median of the ratios of each round, so that a machine which others use too slows both
 * alike. `% peak` is the share of the best rate of a loop of multiply-adds, which runs in each
 * round too. Operations are counted by formula (2mnk for a product, 5 n log2 n for a complex
 * transform and half of that for a real one, nothing else), whatever the code does. `% bw` is the
 * bytes that must be read and written at least, against a triad over arrays larger than any cache
 * of one core: above 100 where they stay in one.
 *
 * Peers are used where they are found: FFTW and OpenBLAS by dlopen, PyTorch by bench_torch.py, one
 * process for each number of threads, which is told what to run. They get the best setting known:
 * the batch split over the threads here where their own split is worse, one thread where two are
 * slower, plans made by FFTW_MEASURE. After the table: errors of transforms beside FFTW's, and what
 * a step takes from its arena beside PyTorch's memory.
 *
 * Writes out/bench/bench.csv and out/bench/bench.png; without vector types bench-scalar.csv and
 * .png, with plain loops bench-plain, and says how much slower than in bench.csv each row is. */
#define _DEFAULT_SOURCE                                /* madvise */
#define _POSIX_C_SOURCE 200809L
#define FD_IMPL
#include "fd.h"
#include "plot.h"
#include "../examples/pde.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 7, PEERS = 3, MAXROWS = 64 };
#if FD_BYTES
#define TABLE "bench"
#elif defined(FD_PLAIN)
#define TABLE "bench-plain"                   /* tables of their own: the first one stays */
#else
#define TABLE "bench-scalar"
#endif
static const size_t POOL = (size_t)2560 << 20;
static double slot = 0.05;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void threads(int n)
{
#ifdef _OPENMP
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

static int upwards(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
    double s[ROUNDS];
    memcpy(s, v, (size_t)n * sizeof *v);
    qsort(s, (size_t)n, sizeof *s, upwards);
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static void need(const fd_status *st)
{
    char why[256];
    if (fd_explain(st, why, sizeof why)) die(why);
}

/* ---- The machine --------------------------------------------------------------------------------
 *
 * Twelve independent chains a <- a m + c: more than the latency of two units asks for, and they fit
 * 16 registers. The chains tend to c/(1 - m) = 1 and stay normal numbers. */

enum { CHAINS = 12 };

static fd_real fma_chains(long n, fd_real seed)
{
    fd_vec a[CHAINS], m = (fd_vec){ 0 } + (fd_real)0.999, c = (fd_vec){ 0 } + (fd_real)0.001;
    for (int k = 0; k < CHAINS; k++) a[k] = (fd_vec){ 0 } + (seed + (fd_real)k);
    for (long i = 0; i < n; i++)
        for (int k = 0; k < CHAINS; k++) a[k] = a[k] * m + c;
    for (int k = 1; k < CHAINS; k++) a[0] += a[k];
    fd_real lane[FD_W];
    vstore(lane, a[0]);
    return lane[0];
}

/* fma_rate -- multiply-adds on all threads, in operations a second. */
static double fma_rate(double seconds)
{
    enum { LENGTH = 100000 };
    fd_real end[2] = { 0, 0 };
    double spent = 0, calls = 0, from = now();
    int n = threads_most();
    do {
        FD_PARALLEL
        for (int i = 0; i < n; i++) end[i] = fma_chains(LENGTH, (fd_real)i);
        calls++;
        spent = now() - from;
    } while (spent < seconds);
    if (!(end[0] > 0)) die("the chains went wrong");   /* and the compiler must keep them */
    return calls * n * 2.0 * LENGTH * CHAINS * FD_W / spent;
}

/* triad_rate -- x = y + c z over arrays of n reals, bytes a second: three arrays count. */
static double triad_rate(ptrdiff_t n, fd_real *x, const fd_real *y, const fd_real *z)
{
    int t = threads_most();
    double from = now();
    FD_PARALLEL
    for (int k = 0; k < t; k++)
        for (ptrdiff_t i = n / t * k; i < n / t * (k + 1); i += FD_W)
            vstore(x + i, vload(y + i) + (fd_real)1.5 * vload(z + i));
    return 3.0 * (double)n * sizeof(fd_real) / (now() - from);
}

/* ---- Peers ----------------------------------------------------------------------------------- */

#ifdef FD_DOUBLE
#define FFTW_LIB "libfftw3.so.3"
#define FFTW_PACKAGE "libfftw3-double3"
#define FFTW(name) "fftw_" name
#define BLAS_GEMM "cblas_dgemm"
#else
#define FFTW_LIB "libfftw3f.so.3"
#define FFTW_PACKAGE "libfftw3-single3"
#define FFTW(name) "fftwf_" name
#define BLAS_GEMM "cblas_sgemm"
#endif
enum { BLAS_ROWS = 101, BLAS_N = 111, BLAS_T = 112, BLAS_OPENMP = 2, FFTW_MEASURE = 0,
       FFTW_FORWARD = -1 };

static struct {
    void (*gemm)(int, int, int, int, int, int, fd_real, const fd_real *, int, const fd_real *, int,
                 fd_real, fd_real *, int);
    void (*threads)(int);
} blas;

static struct {
    void *(*c2c)(int, const int *, int, fd_cplx *, const int *, int, int, fd_cplx *, const int *,
                 int, int, int, unsigned);
    void *(*r2c)(int, const int *, int, fd_real *, const int *, int, int, fd_cplx *, const int *,
                 int, int, unsigned);
    void *(*c2r)(int, const int *, int, fd_cplx *, const int *, int, int, fd_real *, const int *,
                 int, int, unsigned);
    void (*run_c2c)(void *, fd_cplx *, fd_cplx *), (*run_r2c)(void *, fd_real *, fd_cplx *);
    void (*run_c2r)(void *, fd_cplx *, fd_real *);
    void (*limit)(double);
} fftw;

static struct { FILE *to, *from; char version[32]; } torch[2];

/* C has no cast from void * to a function */
static int symbol(void *lib, const char *name, void *f, size_t size)
{
    void *p = lib ? dlsym(lib, name) : NULL;
    memcpy(f, &p, size);
    return !p;
}
#define SYMBOL(lib, name, f) symbol(lib, name, &(f), sizeof(f))

/* the first library that a pattern of paths finds, else the loader's choice */
static void *library(const char *pattern, const char *name)
{
    glob_t found;
    void *lib = NULL;
    if (pattern && !glob(pattern, 0, NULL, &found)) {
        lib = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
        globfree(&found);
    }
    return lib ? lib : dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

static void torch_start(int i)
{
    char command[128];
    int fd[2];
    if (pipe(fd)) return;
    fcntl(fd[1], F_SETFD, FD_CLOEXEC);                /* the script sees the end when we are gone */
    snprintf(command, sizeof command, "exec python3 tests/bench_torch.py %d %s <&%d 2>/dev/null",
             i + 1, sizeof(fd_real) == 4 ? "float" : "double", fd[0]);
    torch[i].from = popen(command, "r");
    close(fd[0]);
    torch[i].to = fdopen(fd[1], "w");
    if (!torch[i].from || !torch[i].to || !fgets(torch[i].version, 32, torch[i].from)) {
        torch[i].to = NULL;
        return;
    }
    torch[i].version[strcspn(torch[i].version, "\n")] = 0;
}

static double torch_time(int t, const char *work)
{
    double s = NAN;
    fprintf(torch[t - 1].to, "%g %s\n", slot, work);
    fflush(torch[t - 1].to);
    if (fscanf(torch[t - 1].from, "%lf", &s) != 1) die("bench_torch.py has ended");
    return s;
}

static double torch_memory(const char *work)
{
    char command[128];
    double bytes = NAN;
    snprintf(command, sizeof command, "python3 tests/bench_torch.py 1 %s %s",
             sizeof(fd_real) == 4 ? "float" : "double", work);
    FILE *f = popen(command, "r");
    if (f && fscanf(f, "%lf", &bytes) != 1) bytes = NAN;
    if (f) pclose(f);
    return bytes;
}

static void peers_find(int with_torch)
{
    unsetenv("OPENBLAS_CORETYPE");          /* what it finds by itself is the best, PyTorch's too */
    unsetenv("OPENBLAS_L2_SIZE");
    void *b = library("/usr/lib/*/openblas-openmp/libopenblas.so.0", "libopenblas.so.0");
    void *f = library(NULL, FFTW_LIB);
    int (*kind)(void);                          /* of threads; bound ones of its own share a core */
    if (SYMBOL(b, BLAS_GEMM, blas.gemm) | SYMBOL(b, "openblas_set_num_threads", blas.threads)
        | SYMBOL(b, "openblas_get_parallel", kind) || kind() != BLAS_OPENMP) {
        blas.gemm = NULL;
        printf("no OpenBLAS on OpenMP: the package libopenblas0-openmp gives its column, and "
               "PyTorch its best\n");
    }
    if (SYMBOL(f, FFTW("plan_many_dft"), fftw.c2c) | SYMBOL(f, FFTW("plan_many_dft_r2c"), fftw.r2c)
        | SYMBOL(f, FFTW("plan_many_dft_c2r"), fftw.c2r)
        | SYMBOL(f, FFTW("execute_dft"), fftw.run_c2c)
        | SYMBOL(f, FFTW("execute_dft_r2c"), fftw.run_r2c)
        | SYMBOL(f, FFTW("execute_dft_c2r"), fftw.run_c2r)
        | SYMBOL(f, FFTW("set_timelimit"), fftw.limit)) {
        fftw.c2c = NULL;
        printf("no FFTW: the package " FFTW_PACKAGE " gives its column\n");
    } else fftw.limit(5);
    if (with_torch)
        for (int i = 0; i < 2; i++) torch_start(i);
    if (!torch[0].to || !torch[1].to) {
        torch[0].to = NULL;
        if (with_torch) printf("no PyTorch: the package python3-torch gives its column\n");
    } else printf("PyTorch %s\n", torch[0].version);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

typedef struct job job;
struct job {
    char work[24], shape[40];
    double ops, bytes;                 /* of one call */
    int elements;                      /* 1: ops are elements, not floating-point operations */
    int n[6];
    void (*ours)(const job *);
    void (*peer)(const job *);         /* NULL: none */
    const char *peer_name;
    char torch[40];                    /* what to ask PyTorch for; "": nothing */
    /* what to ask NumPy and SciPy for, which PyTorch's process has too */
    char numpy[40], scipy[2][40];
    fd_real *x, *y, *z;
    const void *plan;
    void *fftw;
    fd_arena mem;                      /* scratch of a call */
};

static fd_real *values(fd_arena *a, uint64_t seed, double count)
{
    fd_real *x = fd_raw(a, fd_real, (ptrdiff_t)count);
    if (x) fd_normal(fd_seed(seed), (ptrdiff_t)count, x);
    return x;
}

/* --- Products: n = transposed A, B; m, n, k; count --- */

static void gemm_ours(const job *j)
{
    int ta = j->n[0], tb = j->n[1], m = j->n[2], n = j->n[3], k = j->n[4], count = j->n[5];
    int lda = ta ? m : k, ldb = tb ? k : n;
    if (count == 1) fd_gemm(ta, tb, m, n, k, 1, j->x, lda, j->y, ldb, 0, j->z, n, j->mem);
    else fd_gemm_batch(count, ta, tb, m, n, k, 1, j->x, lda, (ptrdiff_t)m * k, j->y, ldb,
                       (ptrdiff_t)k * n, 0, j->z, n, (ptrdiff_t)m * n, j->mem);
}

static void gemm_peer(const job *j)
{
    int ta = j->n[0], tb = j->n[1], m = j->n[2], n = j->n[3], k = j->n[4], count = j->n[5];
    FD_PARALLEL_IF(count > 1)
    for (int i = 0; i < count; i++)
        blas.gemm(BLAS_ROWS, ta ? BLAS_T : BLAS_N, tb ? BLAS_T : BLAS_N, m, n, k, 1,
                  j->x + (ptrdiff_t)i * m * k, ta ? m : k, j->y + (ptrdiff_t)i * k * n, tb ? k : n,
                  0, j->z + (ptrdiff_t)i * m * n, n);
}

static void gemm_make(job *j, fd_arena *a)
{
    double m = j->n[2], n = j->n[3], k = j->n[4], count = j->n[5];
    j->x = values(a, 1, count * m * k);
    j->y = values(a, 2, count * k * n);
    j->z = fd_raw(a, fd_real, (ptrdiff_t)(count * m * n));
    j->ops = 2 * m * n * k * count;
    j->bytes = sizeof(fd_real) * count * (m * k + k * n + m * n);
    int end = snprintf(j->shape, sizeof j->shape, "%s%s%gx%gx%g", j->n[0] ? "TN " : "",
                       j->n[1] ? "NT " : "", m, n, k);
    if (count > 1) snprintf(j->shape + end, sizeof j->shape - (size_t)end, " b%g", count);
    j->ours = gemm_ours;
    if (blas.gemm) { j->peer = gemm_peer; j->peer_name = "OpenBLAS"; }
}

/* Mode mixing of a spectral convolution, complex b x c by c x c for each mode, as fd_spectral does
 * it: real and imaginary rows, 2b x c, times real and imaginary columns, c x 2c. n = modes, b, c */
static void mix_make(job *j, fd_arena *a)
{
    int modes = j->n[0], b = j->n[1], c = j->n[2], n[] = { 0, 0, 2 * b, 2 * c, c, modes };
    snprintf(j->torch, sizeof j->torch, "mix %d %d %d", modes, b, c);
    memcpy(j->n, n, sizeof n);
    gemm_make(j, a);
    snprintf(j->shape, sizeof j->shape, "%dx%dx%d b%d", 2 * b, 2 * c, c, modes);
}

/* --- Transforms --- */

/* n = axes, points of an axis, batch, direction */
static void rfft2_ours(const job *j)
{
    int n[2] = { j->n[1], j->n[1] };
    if (j->n[3] < 0) fd_rfftn(2, n, j->n[2], 1, j->x, (fd_cplx *)j->y, j->mem);
    else fd_irfftn(2, n, j->n[2], 1, (const fd_cplx *)j->y, j->x, j->mem);
}

/* the lines of the last axis, in place: sqrt(2/n) keeps their size, whatever the number of calls */
static void rfft1_ours(const job *j)
{
    int n = j->n[1];
    fd_fft_run(j->plan, -1, sqrt(2.0 / n), j->n[2], n, 1, j->x, j->mem);
}

static void cfft_ours(const job *j)
{
    fd_fft_run(j->plan, -1, sqrt(1.0 / j->n[1]), 1, j->n[1], 1, j->x, j->mem);
}

enum { FFTW_CHUNK = 64 };              /* lines of a plan: what a level-2 cache holds */

static void fft_peer(const job *j)
{
    int n = j->n[1], two = j->n[0] == 2, many = two ? 1 : FFTW_CHUNK;
    ptrdiff_t points = (ptrdiff_t)n * (two ? n : many);
    ptrdiff_t half = (ptrdiff_t)(n / 2 + 1) * (two ? n : many);
    FD_PARALLEL
    for (int i = 0; i < j->n[2] / many; i++) {
        fd_real *x = j->x + i * points;
        fd_cplx *y = (fd_cplx *)j->z + i * half;
        if (j->n[3] < 0) fftw.run_r2c(j->fftw, x, y);
        else fftw.run_c2r(j->fftw, y, x);
    }
}

static void cfft_peer(const job *j) { fftw.run_c2c(j->fftw, (fd_cplx *)j->x, (fd_cplx *)j->y); }

static void rfft_make(job *j, fd_arena *a)
{
    int axes = j->n[0], n = j->n[1], b = j->n[2], sign = j->n[3], dim[2] = { n, n };
    int lines = axes == 2 ? n : 1, many = axes == 2 ? 1 : FFTW_CHUNK, half = n / 2 + 1;
    double points = (double)b * lines * n;
    j->y = fd_raw(a, fd_real, (ptrdiff_t)2 * half * lines * b);
    j->z = fd_new(a, fd_real, fftw.c2c ? (ptrdiff_t)2 * half * lines * b : 0);
    j->plan = axes == 1 ? fd_fft_plan(a, FD_R2C, n) : NULL;
    j->x = fd_raw(a, fd_real, (ptrdiff_t)points);
    need(a->st);
    fd_cplx *z = (fd_cplx *)j->z;                      /* FFTW's own: its inverse overwrites it */
    if (fftw.c2c)
        j->fftw = sign < 0 ? fftw.r2c(axes, dim, many, j->x, NULL, 1, n * lines, z, NULL, 1,
                                      half * lines, FFTW_MEASURE)
                           : fftw.c2r(axes, dim, many, z, NULL, 1, half * lines, j->x, NULL, 1,
                                      n * lines, FFTW_MEASURE);
    if (j->fftw) { j->peer = fft_peer; j->peer_name = "FFTW"; }
    fd_normal(fd_seed(1), (ptrdiff_t)points, j->x);
    fd_normal(fd_seed(2), (ptrdiff_t)2 * half * lines * b, j->y);
    j->ours = axes == 2 ? rfft2_ours : rfft1_ours;
    j->ops = 2.5 * points * log2((double)n * lines);
    j->bytes = 2 * sizeof(fd_real) * points;
    if (axes == 2) snprintf(j->shape, sizeof j->shape, "%dx%d b%d", n, n, b);
    else snprintf(j->shape, sizeof j->shape, "%d b%d", n, b);
    snprintf(j->torch, sizeof j->torch, "%srfft%s %d %d", sign > 0 ? "i" : "", axes == 2 ? "2" : "",
             n, b);
}

static void cfft_make(job *j, fd_arena *a)
{
    int n = j->n[1];
    j->plan = fd_fft_plan(a, FD_C2C, n);
    j->x = fd_raw(a, fd_real, 2 * n);
    j->y = fd_raw(a, fd_real, 2 * n);
    need(a->st);
    if (fftw.c2c)
        j->fftw = fftw.c2c(1, &n, 1, (fd_cplx *)j->x, NULL, 1, n, (fd_cplx *)j->y, NULL, 1, n,
                           FFTW_FORWARD, FFTW_MEASURE);
    if (j->fftw) { j->peer = cfft_peer; j->peer_name = "FFTW"; }
    fd_normal(fd_seed(1), 2 * n, j->x);
    j->ours = cfft_ours;
    j->ops = 5.0 * n * log2(n);
    j->bytes = 4.0 * sizeof(fd_real) * n;
    snprintf(j->shape, sizeof j->shape, "%d", n);
}

/* --- Random numbers: n = count; points of an axis, count --- */

static void normal_ours(const job *j) { fd_normal(fd_seed(1), j->n[0], j->x); }
static void field_ours(const job *j) { fd_cov_draw(j->plan, fd_seed(1), 0, j->n[1], j->x, j->mem); }

static void normal_make(job *j, fd_arena *a)
{
    j->x = fd_raw(a, fd_real, j->n[0]);
    j->ops = j->n[0];
    j->elements = 1;
    j->bytes = sizeof(fd_real) * j->ops;
    j->ours = normal_ours;
    snprintf(j->shape, sizeof j->shape, "%d", j->n[0]);
    snprintf(j->torch, sizeof j->torch, "normal %d", j->n[0]);
    snprintf(j->numpy, sizeof j->numpy, "philox %d", j->n[0]);
}

static void field_make(job *j, fd_arena *a)
{
    int n = j->n[0], count = j->n[1];
    fd_space s = fd_grid(a, 2, (int[]){ n, n }, NULL, NULL, 1);
    j->plan = fd_cov_power(a, &s, 1.0, 3.0, 2.0);
    j->x = fd_raw(a, fd_real, (ptrdiff_t)count * n * n);
    j->ops = (double)count * n * n;
    j->elements = 1;
    j->bytes = sizeof(fd_real) * j->ops;
    j->ours = field_ours;
    snprintf(j->shape, sizeof j->shape, "%dx%d b%d", n, n, count);
    snprintf(j->torch, sizeof j->torch, "field %d %d", n, count);
}

/* --- Element functions: n = function, count, 1: and its gradient --- */

static void map_ours(const job *j)
{
    fd_arena mem = j->mem;
    fd_tape t = fd_tape_begin(&mem, j->n[2] ? FD_GRAD : FD_EVAL);
    fd_var *x = fd_param(&t, 1, &j->n[1], j->x, NULL), *y = fd_map(&t, x, j->n[0]), *dx;
    if (j->n[2]) fd_grad(&t, y, fd_input(&t, 1, &j->n[1], j->y), 1, &x, &dx);
}

static void map_make(job *j, fd_arena *a)
{
    static const char *const name[] = { "exp", "sin", "gelu", "gelu_back" };
    int f = j->n[0] == FD_EXP ? 0 : j->n[0] == FD_SIN ? 1 : j->n[2] ? 3 : 2;
    j->x = values(a, 1, j->n[1]);
    j->y = values(a, 2, j->n[1]);
    j->ops = j->n[1];
    j->elements = 1;
    j->bytes = sizeof(fd_real) * j->ops * (j->n[2] ? 5 : 2);   /* x, y; then x or f', dy, dx */
    j->ours = map_ours;
    snprintf(j->shape, sizeof j->shape, "%d", j->n[1]);
    snprintf(j->torch, sizeof j->torch, "%s %d", name[f], j->n[1]);
}

/* --- Spectral convolution alone: n = points of an axis, width, modes, batch --- */

static void spectral_ours(const job *j)
{
    int n = j->n[0], c = j->n[1], m = j->n[2];
    fd_arena mem = j->mem;
    fd_tape t = fd_tape_begin(&mem, FD_EVAL);
    fd_var *x = fd_input(&t, 4, (int[]){ j->n[3], n, n, c }, j->x);
    fd_var *w = fd_input(&t, 5, (int[]){ 2 * m, m, c, c, 2 }, j->y);
    fd_spectral(&t, x, w, 2, (int[]){ -m, 0 }, (int[]){ m - 1, m - 1 });
}

static double spectral_mm(double b, double width, double modes)
{
    return 8 * b * width * width * modes;
}
static double rfft_ops(double points) { return 2.5 * points * log2(points); }

static void spectral_make(job *j, fd_arena *a)
{
    double n = j->n[0], c = j->n[1], m = j->n[2], b = j->n[3];
    j->x = values(a, 1, b * n * n * c);
    j->y = values(a, 2, 2 * m * m * c * c * 2);
    j->ops = spectral_mm(b, c, 2 * m * m) + 2 * b * c * rfft_ops(n * n);
    j->bytes = sizeof(fd_real) * (2 * b * n * n * c + 4 * m * m * c * c);
    j->ours = spectral_ours;
    snprintf(j->shape, sizeof j->shape, "%dx%dx%d m%d b%d", j->n[0], j->n[0], j->n[1], j->n[2],
             j->n[3]);
    snprintf(j->torch, sizeof j->torch, "spectral");
}

/* --- Whole steps ---
 *
 * Training: noisy input from noise that is given, forward, mean square, backward, Adam. Sampling:
 * forward, x <- 1.001 x - 0.01 y + 0.01 eps. Where there is a second network, a coordinate network,
 * the first one's values are the numbers that modulate it. */

typedef struct {
    fd_space s;
    int b, train;
    fd_net *net[2];
    fd_opt *opt[2];
    fd_real *x0, *eps, *xt;
    double *t;
} step;

static void step_ours(const job *j)
{
    const step *f = j->plan;
    fd_arena mem = j->mem;
    fd_tape t = fd_tape_begin(&mem, f->train ? FD_GRAD : FD_EVAL);
    int b = f->b, n = (int)f->s.points, shape[4] = { b, 1, n };
    for (int i = 0; f->train && i < b; i++) {
        fd_real m = (fd_real)cos(1.5 * f->t[i]), s = (fd_real)sin(1.5 * f->t[i]);
        for (int p = i * n; p < (i + 1) * n; p++) f->xt[p] = m * f->x0[p] + s * f->eps[p];
    }
    fd_var *x = fd_input(&t, 3, shape, f->xt), *y = fd_forward(f->net[0], &t, &f->s, x, f->t);
    if (f->net[1])
        y = fd_inr(f->net[1], &t, &f->s, b, x, NULL, fd_reshape(&t, y, 2, (int[]){ b, n }));
    if (f->train) {
        fd_backward(&t, fd_mse_loss(&t, &f->s, y, f->eps, NULL));
        fd_tape_end(&t);
        for (int k = 0; k < 2 && f->net[k]; k++) fd_opt_step(f->opt[k], f->net[k], mem.st);
    } else
        for (int p = 0; y && p < b * n; p++) {
            fd_real v = (fd_real)1.001 * f->xt[p] + (fd_real)0.01 * (f->eps[p] - y->x[p]);
            f->xt[p] = v > 10 ? 10 : v < -10 ? -10 : v;
        }
}

/* a step with the networks arch[0] and, unless that is NULL, arch[1], of which one forward pass
 * takes mm operations in products and fft in transforms, and writes `stored` numbers that the
 * reverse pass reads */
static void step_new(job *j, fd_arena *a, int n, int b, int train, const fd_arch *const arch[2],
                     double mm, double fft, double stored)
{
    step *f = fd_new(a, step, 1);
    need(a->st);
    f->s = fd_grid(a, arch[0]->nd, (int[]){ n, n }, NULL, NULL, 1);
    double points = (double)b * (double)f->s.points, count = 0;
    f->b = b;
    f->train = train;
    for (int k = 0; k < 2 && arch[k]; k++) {
        f->net[k] = fd_net_new(a, arch[k], fd_seed(1));
        f->opt[k] = train ? fd_opt_new(a, f->net[k], NULL) : NULL;
        need(a->st);
        count += (double)f->net[k]->count;
    }
    f->x0 = train ? values(a, 3, points) : NULL;
    f->eps = values(a, 4, points);
    f->xt = values(a, 5, points);
    f->t = fd_raw(a, double, b);
    need(a->st);
    for (int i = 0; i < b; i++) f->t[i] = (i + 0.5) / b;
    j->plan = f;
    j->ours = step_ours;
    j->ops = train ? 3 * mm + 2 * fft : mm + fft;
    /* each activation written once and read once, and its gradient; weights, gradients and the two
     * moments of Adam */
    j->bytes = sizeof(fd_real) * (stored * (train ? 4 : 1) + count * (train ? 10 : 1));
}

/* n = axes, points of an axis, width, modes, batch, 1: train */
static void fno_make(job *j, fd_arena *a)
{
    enum { LAYERS = 4, PROJ = 128 };
    int nd = j->n[0], n = j->n[1], b = j->n[4], width = j->n[2], modes = j->n[3], train = j->n[5];
    fd_arch arch = { .kind = FD_FNO_ORIGINAL, .nd = nd, .in = 1, .out = 1, .width = width,
                     .layers = LAYERS, .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
                     .fno = { .modes = { modes, modes }, .proj = PROJ } };
    double grid = nd == 1 ? n : n * n, points = b * grid;
    double kept = nd == 1 ? modes : 2.0 * modes * modes;
    double mm = 2 * points * (width * (2 + nd) + LAYERS * width * width + PROJ * width + PROJ)
              + LAYERS * spectral_mm(b, width, kept);
    step_new(j, a, n, b, train, (const fd_arch *[]){ &arch, NULL }, mm,
             LAYERS * 2 * b * width * rfft_ops(grid),
             points * width * (train ? 1.75 * LAYERS + .75 : LAYERS + 1));
    snprintf(j->shape, sizeof j->shape, "%s w%d m%d b%d", nd == 1 ? "256" : "64x64", width, modes,
             b);
    snprintf(j->torch, sizeof j->torch, "fno%dd %s", nd, train ? "train" : "sample");
}

/* products of a block of a transformer on rows = samples x tokens, its hidden width 4 w */
static double block_mm(double rows, double tokens, double w)
{
    return 2 * rows * (12 * w * w + 2 * tokens * w);
}

/* n = points of an axis, patch, width, layers, batch, 1: train; heads 4 */
static void uvit_make(job *j, fd_arena *a)
{
    int n = j->n[0], p = j->n[1], w = j->n[2], layers = j->n[3], b = j->n[4], train = j->n[5];
    fd_arch arch = { .kind = FD_UVIT, .nd = 2, .in = 1, .out = 1, .width = w, .layers = layers,
                     .time = FD_TIME_TOKEN, .grid = { n, n },
                     .vit = { .patch = { p, p }, .heads = 4, .pos = FD_POS_LEARNED } };
    double tokens = 1 + n / p * (n / p), rows = b * tokens;
    double mm = layers * block_mm(rows, tokens, w) + layers / 2 * 2 * rows * 2 * w * w
              + 2 * 2 * rows * p * p * w + 2 * b * 8 * w * w;
    step_new(j, a, n, b, train, (const fd_arch *[]){ &arch, NULL }, mm, 0, layers * 10 * rows * w);
    snprintf(j->shape, sizeof j->shape, "%dx%d p%d w%d l%d b%d", n, n, p, w, layers, b);
    snprintf(j->torch, sizeof j->torch, "uvit %s", train ? "train" : "sample");
}

/* n = points of an axis, width, layers, batch, 1: train: a coordinate network whose modulations are
 * linear in the values of a small transformer */
static void coords_make(job *j, fd_arena *a)
{
    enum { D = 64, DEPTH = 2, PATCH = 4 };
    int n = j->n[0], w = j->n[1], layers = j->n[2], b = j->n[3], train = j->n[4];
    fd_arch vit = { .kind = FD_VIT, .nd = 2, .in = 1, .out = 1, .width = D, .layers = DEPTH,
                    .time = FD_TIME_TOKEN, .grid = { n, n },
                    .vit = { .patch = { PATCH, PATCH }, .heads = 4, .pos = FD_POS_LEARNED } };
    fd_arch field = { .kind = FD_SIREN, .nd = 2, .in = 1, .out = 1, .width = w, .layers = layers,
                      .coords = FD_COORD_CLOSED, .inr = { .mod = FD_MOD_SCALE, .latent = n * n } };
    double tokens = 1 + n / PATCH * (n / PATCH), points = (double)b * n * n;
    double mm = DEPTH * block_mm(b * tokens, tokens, D) + 2.0 * b * n * n * 2 * layers * w
              + 2 * points * (3 * w + (layers - 1) * w * w + w);
    step_new(j, a, n, b, train, (const fd_arch *[]){ &vit, &field }, mm, 0, points * w * layers);
    snprintf(j->shape, sizeof j->shape, "%dx%d w%d l%d b%d", n, n, w, layers, b);
    snprintf(j->torch, sizeof j->torch, "inr %s", train ? "train" : "sample");
}

/* --- Attention and layer norm with their gradients: n = batch, tokens, width, heads (0: norm) */

static void rows_ours(const job *j)
{
    int b = j->n[0], tokens = j->n[1], w = j->n[2], heads = j->n[3], shape[3] = { b, tokens, w };
    ptrdiff_t size = (ptrdiff_t)b * tokens * w;
    fd_arena mem = j->mem;
    fd_tape t = fd_tape_begin(&mem, FD_GRAD);
    fd_var *v[3], *dv[3], *y;
    for (int i = 0; i < 3; i++)
        v[i] = heads || !i ? fd_param(&t, 3, shape, j->x + i * size, NULL)
                           : fd_param(&t, 1, &w, j->x + i * size, NULL);
    y = heads ? fd_attention(&t, v[0], v[1], v[2], heads)
              : fd_layernorm(&t, v[0], v[1], v[2], 1e-6);
    fd_grad(&t, y, fd_input(&t, 3, shape, j->y), 3, v, dv);
}

static void rows_make(job *j, fd_arena *a)
{
    int b = j->n[0], tokens = j->n[1], w = j->n[2];
    double size = (double)b * tokens * w;
    j->x = values(a, 1, 3 * size);
    j->y = values(a, 2, size);
    j->ops = j->n[3] ? 7 * 2 * size * tokens : size;  /* forward two products, scores again, four */
    j->elements = !j->n[3];
    j->bytes = sizeof(fd_real) * size * (j->n[3] ? 12 : 5);
    j->ours = rows_ours;
    snprintf(j->shape, sizeof j->shape, "%dx%d b%d", tokens, w, b);
    if (j->n[3])
        snprintf(j->torch, sizeof j->torch, "attention %d %d %d %d", b, tokens, w, j->n[3]);
    else snprintf(j->torch, sizeof j->torch, "layernorm %d %d %d", b, tokens, w);
}

/* --- Given observations: a step of a method beside one without, by the same network --- */

enum { FREE, PROJECTED, DENOISED, GUIDED };
typedef struct {
    int b, m;
    fd_process p;
    fd_sampler how;                    /* of the method */
    fd_model plain;
    fd_obs o;
    fd_gain *g;
    fd_guide guide;
    fd_chain *chain;
    fd_real *start, *x, *xi, *d;
    double *y, *path, *e, *de, *z;
} given;

static void given_step(const job *j, int kind)
{
    const given *f = j->plan;
    const double t = .5, s = .48;
    fd_sampler how = f->how;
    if (kind != GUIDED) how.model = f->plain;
    memcpy(f->x, f->start, (size_t)f->b * (size_t)f->p.noise->s.points * sizeof *f->x);
    if (kind == PROJECTED || kind == DENOISED)
        fd_noise_step(&how, &f->o, t, s, f->b, f->e, f->de, f->z, j->mem);
    fd_advance(&how, t, s, f->b, f->x, f->xi, f->d, j->mem);
    if (kind == PROJECTED) {
        fd_path_move(f->g, &f->p, FD_PATH_BRIDGE, t, s, f->b, f->y, f->z, f->path, j->mem);
        fd_project(f->g, f->b, f->path, f->x, f->e, j->mem);
    } else if (kind == DENOISED) fd_project_denoised(f->g, &f->p, s, f->b, f->y, f->d, f->de, f->x,
                                                     f->e, j->mem);
}

static void given_free(const job *j) { given_step(j, FREE); }
static void given_ours(const job *j) { given_step(j, j->n[3]); }
static void chain_ours(const job *j) { fd_chain_step(((const given *)j->plan)->chain, j->mem); }

/* n = points of an axis, batch, sensors, the method (FREE: a step of pCN) */
static void given_make(job *j, fd_arena *a)
{
    int n = j->n[0], b = j->n[1], m = j->n[2], kind = j->n[3];
    given *f = fd_new(a, given, 1);
    double *at = fd_raw(a, double, 2 * m), size = (double)b * n * n;
    need(a->st);
    fd_space s = fd_grid(a, 2, (int[]){ n, n }, NULL, NULL, 1);
    fd_cov *c = fd_cov_power(a, &s, 1.0, 3.0, 2.0);
    ptrdiff_t *index = fd_raw(a, ptrdiff_t, m);
    f->b = b, f->m = m, f->p = fd_vp(c, .1, 20);
    for (int i = 0; i < 2 * m; i++)
        at[i] = (double)fd_index(fd_seed(7), (uint64_t)i, 1 << 20) / (1 << 20);
    for (int i = 0; index && i < m; i++) index[i] = (ptrdiff_t)i * n * n / m;
    f->o = kind ? fd_obs_points(a, &s, m, at, NULL) : fd_obs_pick(a, &s, m, index);
    fd_obs_noise(a, &f->o, .1);
    f->y = fd_new(a, double, b * m), f->path = fd_new(a, double, b * m),
        f->e = fd_new(a, double, b * m);
    f->de = fd_new(a, double, b * m), f->z = fd_new(a, double, b * m);
    j->plan = f;
    j->ops = kind ? size : 1;
    j->elements = 1;
    j->bytes = sizeof(fd_real) * size;
    snprintf(j->shape, sizeof j->shape, "%dx%d b%d, %d values", n, n, b, m);
    if (!kind) {
        fd_mcmc how = { .prior = c, .phi = fd_obs_potential(a, &f->o, f->y), .kind = FD_MCMC_PCN,
                        .h = .1 };
        f->chain = fd_chain_begin(a, &how, fd_seed(1), 0, NULL);
        j->ours = chain_ours;
        snprintf(j->numpy, sizeof j->numpy, "pcn %d %d", n, m);
        return;
    }
    fd_arch arch = { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = 32, .layers = 4,
                     .fno.modes = { 12, 12 }, .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED };
    fd_net *net = fd_net_new(a, &arch, fd_seed(1));
    f->plain = fd_net_model(a, net, FD_V);
    f->guide = (fd_guide){ .p = &f->p, .model = f->plain, .o = &f->o, .y = f->y,
                           .rule = FD_GUIDE_PIGDM };
    f->how = (fd_sampler){ .p = &f->p, .model = f->plain, .steps = 1, .scheme = FD_ANCESTRAL };
    if (kind == GUIDED) f->how.model = fd_guided(a, &f->guide);
    else f->g = fd_gain_new(a, &f->o, c, NULL);
    f->start = values(a, 1, size), f->xi = values(a, 2, size);
    f->x = fd_raw(a, fd_real, (ptrdiff_t)size), f->d = fd_raw(a, fd_real, (ptrdiff_t)size);
    j->ours = given_ours, j->peer = given_free, j->peer_name = "no data";
}

/* --- Bridges: paths of the heat equation, and a training step of bridge matching --- */

typedef struct {
    fd_linear l; fd_net *net; fd_opt *opt; int b; double *t; fd_real *u, *xi;
} bridged;

static void bridge_ours(const job *j)
{
    const bridged *f = j->plan;
    fd_bridge_path(&f->l, j->n[1], fd_seed(1), 0, f->b, j->x, j->y, j->z, j->mem);
}

/* n = modes, steps, paths */
static void bridge_make(job *j, fd_arena *a)
{
    int n = j->n[0], steps = j->n[1], b = j->n[2];
    bridged *f = fd_new(a, bridged, 1);
    need(a->st);
    fd_space s = fd_grid(a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    f->l = fd_linear_heat(a, fd_cov_power(a, &s, 1, 1, 1), .05, .2, 1);
    f->b = b;
    j->x = values(a, 1, (double)b * n), j->y = values(a, 2, (double)b * n);
    j->z = fd_raw(a, fd_real, (ptrdiff_t)b * (steps + 1) * n);
    j->plan = f;
    j->ours = bridge_ours;
    j->ops = (double)b * n * steps, j->elements = 1;
    j->bytes = sizeof(fd_real) * j->ops;
    snprintf(j->shape, sizeof j->shape, "%d modes, %d steps b%d", n, steps, b);
    snprintf(j->torch, sizeof j->torch, "bridge %d %d %d", n, steps, b);
}

static void match_ours(const job *j)
{
    const bridged *f = j->plan;
    const fd_space *s = &f->l.noise->s;
    const int shape[3] = { f->b, 1, (int)s->points };
    fd_arena mem = j->mem;
    fd_real *x = fd_raw(&mem, fd_real, f->b * s->points);
    fd_uniform(fd_seed(2), f->b, f->u);
    for (int i = 0; i < f->b; i++) f->t[i] = .01 + .98 * (double)f->u[i];
    fd_cov_draw(f->l.noise, fd_seed(3), 0, f->b, f->xi, mem);
    fd_bridge_draw(&f->l, f->b, f->t, j->x, j->y, f->xi, x, mem);
    fd_tape t = fd_tape_begin(&mem, FD_GRAD);
    fd_var *y = fd_forward(f->net, &t, s, fd_input(&t, 3, shape, x), f->t);
    fd_backward(&t, fd_mse_loss(&t, s, y, j->y, NULL));
    fd_tape_end(&t);
    fd_opt_step(f->opt, f->net, mem.st);
}

/* n = points of an axis, width, modes, batch */
static void match_make(job *j, fd_arena *a)
{
    int n = j->n[0], b = j->n[3];
    bridged *f = fd_new(a, bridged, 1);
    need(a->st);
    fd_arch arch = { .kind = FD_FNO_ORIGINAL, .nd = 2, .in = 1, .out = 1, .width = j->n[1],
                     .layers = 4, .fno.modes = { j->n[2], j->n[2] }, .time = FD_TIME_CHANNEL,
                     .coords = FD_COORD_CLOSED };
    fd_space s = fd_grid(a, 2, (int[]){ n, n }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, 1);
    f->l = fd_linear_heat(a, fd_cov_power(a, &s, 1, 5, 2), .01, .5, 1);
    f->net = fd_net_new(a, &arch, fd_seed(1)), f->opt = fd_opt_new(a, f->net, NULL);
    f->b = b;
    f->t = fd_raw(a, double, b), f->u = fd_raw(a, fd_real, b);
    f->xi = fd_raw(a, fd_real, (ptrdiff_t)b * n * n);
    j->x = values(a, 1, (double)b * n * n), j->y = values(a, 2, (double)b * n * n);
    j->plan = f;
    j->ours = match_ours;
    j->ops = (double)b * n * n, j->elements = 1;
    j->bytes = sizeof(fd_real) * j->ops;
    snprintf(j->shape, sizeof j->shape, "%dx%d w%d m%d b%d", n, n, j->n[1], j->n[2], b);
    snprintf(j->torch, sizeof j->torch, "match train");
}

/* --- Forward models: steps of the vorticity equation; Darcy's; a chain with Darcy in it --- */

enum { FLOW_STEPS = 10 };

static void flow_ours(const job *j)
{
    const pde_flow *p = j->plan;
    memcpy(j->y, j->x, (size_t)(p->n * p->n) * sizeof *j->y);
    pde_flow_run(p, FLOW_STEPS, j->y, j->mem);
}

static void flow_make(job *j, fd_arena *a)
{
    int n = j->n[0];
    pde_flow *p = fd_new(a, pde_flow, 1);
    need(a->st);
    *p = pde_flow_new(a, n, 1e-3, 1e-3, NULL);
    fd_space s = fd_grid(a, 2, (int[]){ n, n }, NULL, NULL, 1);
    j->x = fd_raw(a, fd_real, (ptrdiff_t)n * n), j->y = fd_raw(a, fd_real, (ptrdiff_t)n * n);
    fd_cov_draw(fd_cov_matern(a, &s, 1, .1, 2.5), fd_seed(1), 0, 1, j->x, *a);
    j->plan = p;
    j->ours = flow_ours;
    j->ops = FLOW_STEPS, j->elements = 1;
    j->bytes = sizeof(fd_real) * 12. * n * n * FLOW_STEPS;
    snprintf(j->shape, sizeof j->shape, "%dx%d, %d steps", n, n, FLOW_STEPS);
    snprintf(j->numpy, sizeof j->numpy, "flow %d %d", n, FLOW_STEPS);
    snprintf(j->scipy[0], sizeof j->scipy[0], "scipy-flow %d %d", n, FLOW_STEPS);
}

typedef struct { int n; double *a, *f, *u; fd_chain *chain; } darcy;

/* from the coefficient: the coarser grids are made, too */
static void darcy_ours(const job *j)
{
    const darcy *d = j->plan;
    fd_arena mem = j->mem;
    pde_darcy *p = pde_darcy_new(&mem, d->n, PDE_HARMONIC, PDE_MULTIGRID, 1e-8, d->a);
    if (p) pde_darcy_solve(p, d->f, d->u, mem);
}

/* sixteen pressures of exp(x) */
static void darcy_observe(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                          fd_arena mem)
{
    const darcy *d = self;
    const int n = d->n;
    for (int e = 0; e < b; e++) {
        fd_arena own = mem;
        double *k = fd_raw(&own, double, s->points);
        for (int i = 0; k && i < n * n; i++) k[i] = exp((double)x[e * n * n + i]);
        pde_darcy *p = k ? pde_darcy_new(&own, n, PDE_HARMONIC, PDE_MULTIGRID, 1e-8, k) : NULL;
        if (p) pde_darcy_solve(p, d->f, d->u, own);
        for (int i = 0; i < 16; i++) y[e * 16 + i] = d->u[(4 + 8 * (i / 4)) * n + 4 + 8 * (i % 4)];
    }
}

static void mini_ours(const job *j) { fd_chain_step(((const darcy *)j->plan)->chain, j->mem); }

/* n = points of an axis; 1: the chain */
static void darcy_make(job *j, fd_arena *a)
{
    const int n = j->n[0], all = n * n;
    darcy *d = fd_new(a, darcy, 1);
    need(a->st);
    *d = (darcy){ n, fd_raw(a, double, all), fd_raw(a, double, all), fd_raw(a, double, all), NULL };
    fd_space s = fd_grid(a, 2, (int[]){ n, n }, NULL, (int[]){ FD_NEUMANN, FD_NEUMANN }, 1);
    fd_cov *c = fd_cov_matern(a, &s, 1, .3, 1.5);
    fd_real *x = fd_raw(a, fd_real, all);
    double *y = fd_raw(a, double, 16);
    need(a->st);
    fd_cov_draw(c, fd_seed(1), 0, 1, x, *a);
    for (int i = 0; i < all; i++) d->a[i] = exp((double)x[i]), d->f[i] = 1;
    j->plan = d, j->ops = 1, j->elements = 1, j->bytes = 8. * all;
    snprintf(j->shape, sizeof j->shape, j->n[1] ? "%dx%d, 16 pressures" : "%dx%d", n, n);
    if (!j->n[1]) {
        j->ours = darcy_ours;
        snprintf(j->scipy[0], sizeof j->scipy[0], "darcy-lu %d", n);
        snprintf(j->scipy[1], sizeof j->scipy[1], "darcy-cg %d", n);
        return;
    }
    fd_obs *o = fd_new(a, fd_obs, 1);
    need(a->st);
    *o = (fd_obs){ .s = s, .m = 16, .apply = darcy_observe, .self = d };
    fd_obs_noise(a, o, 3e-3);
    fd_obs_draw(o, fd_seed(2), 0, 1, x, y, *a);
    fd_mcmc how = { .prior = c, .phi = fd_obs_potential(a, o, y), .kind = FD_MCMC_PCN, .h = .05 };
    d->chain = fd_chain_begin(a, &how, fd_seed(3), 0, x);
    j->ours = mini_ours;
    snprintf(j->scipy[0], sizeof j->scipy[0], "mini-darcy");
}

static const struct { const char *work; void (*make)(job *, fd_arena *); int n[6]; } rows[] = {
    { "gemm", gemm_make, { 0, 0, 128, 128, 128, 1 } },
    { "gemm", gemm_make, { 0, 0, 256, 256, 256, 1 } },
    { "gemm", gemm_make, { 0, 0, 512, 512, 512, 1 } },
    { "gemm", gemm_make, { 0, 0, 1024, 1024, 1024, 1 } },
    { "gemm", gemm_make, { 0, 0, 2048, 2048, 2048, 1 } },
    { "gemm", gemm_make, { 0, 0, 65536, 32, 32, 1 } },
    { "gemm", gemm_make, { 1, 0, 32, 32, 65536, 1 } },
    { "gemm", gemm_make, { 0, 0, 65536, 64, 64, 1 } },
    { "gemm", gemm_make, { 1, 0, 64, 64, 65536, 1 } },
    { "gemm", gemm_make, { 0, 0, 4160, 384, 128, 1 } },
    { "gemm_batch", gemm_make, { 0, 1, 65, 65, 32, 256 } },
    { "gemm_batch", gemm_make, { 0, 0, 65, 32, 65, 256 } },
    { "mix", mix_make, { 288, 16, 32 } },
    { "rfft2", rfft_make, { 2, 64, 2048, -1 } },
    { "irfft2", rfft_make, { 2, 64, 2048, 1 } },
    { "rfft", rfft_make, { 1, 64, 16384, -1 } },
    { "rfft", rfft_make, { 1, 256, 4096, -1 } },
    { "rfft", rfft_make, { 1, 1024, 1024, -1 } },
    { "rfft", rfft_make, { 1, 101, 10368, -1 } },
    { "rfft", rfft_make, { 1, 1009, 1024, -1 } },
    { "fft", cfft_make, { 1, 256 } },
    { "fft", cfft_make, { 1, 1024 } },
    { "fft", cfft_make, { 1, 4096 } },
    { "fft", cfft_make, { 1, 16384 } },
    { "fft", cfft_make, { 1, 65536 } },
    { "normal", normal_make, { 1 << 22 } },
    { "field", field_make, { 64, 256 } },
    { "field", field_make, { 256, 256 } },
    { "exp", map_make, { FD_EXP, 1 << 21 } },
    { "sin", map_make, { FD_SIN, 1 << 21 } },
    { "gelu", map_make, { FD_GELU, 1 << 21 } },
    { "gelu+back", map_make, { FD_GELU, 1 << 21, 1 } },
    { "spectral", spectral_make, { 64, 32, 12, 16 } },
    { "attention", rows_make, { 64, 65, 128, 4 } },
    { "layernorm", rows_make, { 64, 65, 128, 0 } },
    { "fno1d train", fno_make, { 1, 256, 64, 16, 64, 1 } },
    { "fno1d sample", fno_make, { 1, 256, 64, 16, 64, 0 } },
    { "fno2d train", fno_make, { 2, 64, 32, 12, 16, 1 } },
    { "fno2d sample", fno_make, { 2, 64, 32, 12, 16, 0 } },
    { "uvit train", uvit_make, { 32, 4, 128, 7, 64, 1 } },
    { "uvit sample", uvit_make, { 32, 4, 128, 7, 64, 0 } },
    { "inr train", coords_make, { 32, 128, 5, 64, 1 } },
    { "inr sample", coords_make, { 32, 128, 5, 64, 0 } },
    { "project", given_make, { 64, 16, 500, PROJECTED } },
    { "project", given_make, { 128, 4, 500, PROJECTED } },
    { "project", given_make, { 256, 1, 500, PROJECTED } },
    { "denoised", given_make, { 64, 16, 500, DENOISED } },
    { "pigdm", given_make, { 64, 16, 500, GUIDED } },
    { "pigdm", given_make, { 256, 1, 500, GUIDED } },
    { "pcn", given_make, { 64, 1, 16, FREE } },
    { "pcn", given_make, { 256, 1, 16, FREE } },
    { "bridge", bridge_make, { 256, 200, 256 } },
    { "match train", match_make, { 32, 32, 12, 16 } },
    { "flow", flow_make, { 64 } },
    { "flow", flow_make, { 256 } },
    { "darcy", darcy_make, { 128 } },
    { "mini-darcy", darcy_make, { 32, 1 } },
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- Measuring ------------------------------------------------------------------------------- */

/* time_of -- seconds of a call, over as many as fill a slot, after one that warms up. */
static double time_of(void (*f)(const job *), const job *j)
{
    f(j);
    for (double calls = 1;;) {
        double from = now();
        for (double i = 0; i < calls; i++) f(j);
        double spent = now() - from;
        if (spent > 0.9 * slot) return spent / calls;
        calls = spent < 0.02 * slot ? 8 * calls : ceil(calls * slot / spent);
    }
}

typedef struct { double ms[2], ratio[2], low[2], high[2]; } rival;
typedef struct {
    job j;
    double ms[2], rate[2], peak[2], bw[2];             /* rate in 1e9; the others in per cent */
    double bytes, torch_bytes;                         /* steps: high-water marks */
    double error[2];                                   /* transforms: ours, FFTW's */
    int peers;
    const char *name[PEERS];
    rival peer[PEERS];
} result;

/* peak and triad are limits: the best that was ever seen, peak a little of every round */
static void measure(result *r, double peak[2], const double triad[2])
{
    double ms[1 + PEERS][2][ROUNDS], ratio[ROUNDS];
    const job *j = &r->j;
    const char *asked[PEERS];                          /* of bench_torch.py; NULL: j->peer */
    if (j->peer) { r->name[r->peers] = j->peer_name; asked[r->peers++] = NULL; }
    if (torch[0].to && j->torch[0]) { r->name[r->peers] = "PyTorch"; asked[r->peers++] = j->torch; }
    if (torch[0].to && j->numpy[0]) { r->name[r->peers] = "NumPy"; asked[r->peers++] = j->numpy; }
    for (int k = 0; k < 2; k++)
        if (torch[0].to && j->scipy[k][0]) {
            r->name[r->peers] = "SciPy"; asked[r->peers++] = j->scipy[k];
        }
    for (int k = 0; k < ROUNDS; k++)
        for (int t = 0; t < 2; t++) {
            threads(t + 1);
            peak[t] = fmax(peak[t], fma_rate(0.005));
            ms[0][t][k] = 1e3 * time_of(j->ours, j);
            for (int p = 0; p < r->peers; p++) {
                if (blas.gemm) blas.threads(j->n[5] > 1 ? 1 : t + 1);
                threads(t + 1);                        /* OpenBLAS on OpenMP sets that, too */
                ms[1 + p][t][k] = 1e3
                                  * (asked[p] ? torch_time(t + 1, asked[p]) : time_of(j->peer, j));
            }
        }
    need(j->mem.st);
    for (int p = 0; p < r->peers; p++)              /* who is slower on two threads would use one */
        for (int k = 0; k < ROUNDS; k++) ms[1 + p][1][k] = fmin(ms[1 + p][0][k], ms[1 + p][1][k]);
    for (int t = 0; t < 2; t++) {
        r->ms[t] = median(ms[0][t], ROUNDS);
        r->rate[t] = 1e-6 * j->ops / r->ms[t];
        r->peak[t] = 1e5 * j->ops / r->ms[t] / peak[t];
        r->bw[t] = 1e5 * j->bytes / r->ms[t] / triad[t];
        for (int p = 0; p < r->peers; p++) {
            rival *q = &r->peer[p];
            for (int k = 0; k < ROUNDS; k++) ratio[k] = ms[1 + p][t][k] / ms[0][t][k];
            q->ms[t] = median(ms[1 + p][t], ROUNDS);
            q->ratio[t] = median(ratio, ROUNDS);
            qsort(ratio, ROUNDS, sizeof *ratio, upwards);
            q->low[t] = ratio[0];
            q->high[t] = ratio[ROUNDS - 1];
        }
    }
}

/* One number of the answer of a transform's first call, got and by its sum in double: a line of
 * complex numbers, of real ones, or a real image from or to its half spectrum. Real lines in place
 * are r0, r1, i1, ..; split: real and imaginary parts side by side all along. */
static void probe(const job *j, const double *root, const fd_real *in, const fd_real *out,
                  int split, int k, double got[2], double want[2])
{
    int n = j->n[1], image = j->n[0] == 2, real = j->ours != cfft_ours, half = n / 2 + 1;
    int back = j->n[3] > 0;
    int lines = image ? n : 1, width = back || !real ? n : half;
    int k0 = image ? (7 * k + 3) % n : 0, k1 = (int)((5L * k + 1) * width / 331 % width);
    want[0] = want[1] = 0;
    for (int p = 0; p < lines; p++)
        for (int q = 0; q < (back ? half : n); q++) {
            const double *w = root + 2 * (((long)k0 * p + (long)k1 * q) % n);
            double c = w[0], s = back ? w[1] : -w[1];
            ptrdiff_t at = (ptrdiff_t)p * (back ? half : n) + q;
            double re = (double)(real && !back ? in[at] : in[2 * at]);
            double im = real && !back ? 0 : (double)in[2 * at + 1];
            if (back && q && 2 * q != n) re *= 2, im *= 2;
            want[0] += re * c - im * s;
            want[1] += re * s + im * c;
        }
    ptrdiff_t at = (ptrdiff_t)k0 * width + k1;
    if (back) {
        got[0] = (double)out[at];
        got[1] = want[1] = 0;
    } else if (split) {
        got[0] = (double)out[2 * at];
        got[1] = (double)out[2 * at + 1];
    } else {
        got[0] = (double)out[k1 ? 2 * k1 - 1 : 0];
        got[1] = k1 && 2 * k1 != n ? (double)out[2 * k1] : 0;
    }
}

/* root mean square error over that of the values, ours and FFTW's; for float, as the sums are in
 * double */
static void transform_errors(const job *asked, double error[2])
{
    enum { TRIALS = 8, PROBES = 256 };
    job j = *asked;
    int n = j.n[1], line = j.ours == cfft_ours, back = j.n[3] > 0, split = line || j.n[0] == 2;
    ptrdiff_t count = line ? 2 * n : back ? 2 * (n / 2 + 1) : n;
    count *= j.n[0] == 2 ? n : 1;
    fd_real *in = fd_raw(&j.mem, fd_real, count);
    double *root = fd_raw(&j.mem, double, 2 * n), err[2] = { 0, 0 }, size[2] = { 0, 0 }, got[2];
    double want[2];
    need(j.mem.st);
    for (int i = 0; i < 2 * n; i++) {
        double t = 2 * 3.14159265358979323846 * (i / 2) / n;
        root[i] = i % 2 ? sin(t) : cos(t);
    }
    error[0] = error[1] = NAN;
    for (int peer = 0; peer < 2 && (!peer || j.fftw); peer++) {
        const fd_real *out = back ? j.x : line ? peer ? j.y : j.x : peer ? j.z : split ? j.y : j.x;
        for (int k = 0; k < TRIALS * PROBES; k++) {
            if (k % PROBES == 0) {
                fd_normal(fd_seed((uint64_t)k), count, in);
                memcpy(!back ? j.x : peer ? j.z : j.y, in, (size_t)count * sizeof *in);
                if (peer) j.peer(&j);
                else if (j.n[0] == 2) j.ours(&j);
                else                                                         /* no scale, as FFTW */
                    fd_fft_run(j.plan, -1, 1, line ? 1 : j.n[2], n, 1, j.x, j.mem);
            }
            probe(&j, root, in, out, peer || split, k, got, want);
            for (int i = 0; i < 2; i++) {
                err[peer] += (got[i] - want[i]) * (got[i] - want[i]);
                size[peer] += want[i] * want[i];
            }
        }
        error[peer] = sqrt(err[peer] / size[peer]);
    }
}

/* ---- Reports --------------------------------------------------------------------------------- */

static void show(const result *r)
{
    const job *j = &r->j;
    /* elements a second, in millions where that is no small number */
    const double unit = j->elements && r->rate[0] < .1 ? 1e3 : 1;
    printf("%-13s%-22s%9.4g%9.4g ", j->work, j->shape, r->ms[0], unit * r->rate[0]);
    if (j->elements) printf(unit > 1 ? "M/s    " : "G/s    ");
    else printf("%5.0f%% ", r->peak[0]);
    printf("%4.0f%%%9.4g%9.4g ", r->bw[0], r->ms[1], unit * r->rate[1]);
    if (j->elements) printf("       ");
    else printf("%5.0f%% ", r->peak[1]);
    for (int p = 0; p < r->peers; p++) {
        const rival *q = &r->peer[p];
        if (p) printf("\n%*s", 88, "");
        printf(" %-9s%9.4g%9.4g%7.2f%7.2f", r->name[p], q->ms[0], q->ms[1], q->ratio[0],
               q->ratio[1]);
    }
    printf("\n");
    fflush(stdout);
}

static void save_csv(const char *path, int n, const result *r)
{
    FILE *f = fopen(path, "w");
    if (!f) die(path);
    fprintf(f, "work,shape,operations,bytes,ms1,ms2,giga1,giga2,peak1,peak2,bandwidth1,bandwidth2,"
               "high_water,peer,peer_ms1,peer_ms2,ratio1,ratio1_low,ratio1_high,ratio2,ratio2_low,"
               "ratio2_high,peer_high_water\n");
    for (int i = 0; i < n; i++, r++)
        for (int p = 0; p < r->peers || p == 0; p++) {
            fprintf(f, "%s,%s,%.0f,%.0f,%.6g,%.6g,%.5g,%.5g,", r->j.work, r->j.shape, r->j.ops,
                    r->j.bytes, r->ms[0], r->ms[1], r->rate[0], r->rate[1]);
            if (r->j.elements) fprintf(f, ",,");
            else fprintf(f, "%.4g,%.4g,", r->peak[0], r->peak[1]);
            fprintf(f, "%.4g,%.4g,%.0f,", r->bw[0], r->bw[1], r->bytes);
            if (!r->peers) { fprintf(f, ",,,,,,,,,\n"); continue; }
            const rival *q = &r->peer[p];
            fprintf(f, "%s,%.6g,%.6g,%.4g,%.4g,%.4g,%.4g,%.4g,%.4g,", r->name[p], q->ms[0],
                    q->ms[1], q->ratio[0], q->low[0], q->high[0], q->ratio[1], q->low[1],
                    q->high[1]);
            if (r->torch_bytes > 0) fprintf(f, "%.0f", r->torch_bytes);
            fprintf(f, "\n");
        }
    if (fclose(f)) die(path);
}

/* How many times slower than in the table at `path`, of a build with vector types: row by row, one
 * thread */
static void beside(const char *path, int n, const result *r)
{
    char line[512], shape[40];
    double ms;
    FILE *f = fopen(path, "r");
    if (!f)
        printf("\nmake bench first: this then says how much slower each row is without vector "
               "types\n");
    else printf("\nwithout vector types slower than in %s, one thread:\n", path);
    for (int i = 0; f && i < n; i++) {
        const size_t len = strlen(r[i].j.work);
        rewind(f);
        while (fgets(line, sizeof line, f))
            if (!strncmp(line, r[i].j.work, len)
                && sscanf(line + len, ",%39[^,],%*[^,],%*[^,],%lf", shape, &ms) == 2
                && !strcmp(shape, r[i].j.shape)) {
                printf("%-13s%-22s%7.1f times\n", r[i].j.work, shape, r[i].ms[0] / ms);
                break;
            }
    }
    if (f) fclose(f);
}

/* Bars of the ratios on a logarithmic axis from 1, to the right where we are faster. */
static void save_bars(const char *path, int n, const result *r, fd_arena a)
{
    enum { ROW = 26, BAR = 9, LEFT = 500, WIDTH = 640, TOP = 70, MARGIN = 150 };
    static const double tick[] = { 0.25, 0.5, 1, 2, 4, 8, 16, 32 };
    static const unsigned char grid[3] = { 228, 228, 228 }, axis[3] = { 110, 110, 110 };
    const double least = -2, most = 5;                 /* log2 */
    int bars = 0, y = TOP;
    char text[80];
    for (int i = 0; i < n; i++) bars += r[i].peers;
    if (!bars) return;
    plot_canvas c = plot_new(&a, TOP + bars * ROW + 30, LEFT + WIDTH + MARGIN);
    plot_text(&c, 14, 20, 2, "time of a peer / our time: above 1 we are faster");
    for (int t = 0; t < 2; t++) {
        plot_box(&c, 16, 820 + 170 * t, 12, 24, plot_hue(t), 1);
        plot_text(&c, 14, 852 + 170 * t, 2, t ? "2 threads" : "1 thread");
    }
    for (int k = 0; k < (int)(sizeof tick / sizeof *tick); k++) {
        int x = LEFT + (int)(WIDTH * (log2(tick[k]) - least) / (most - least));
        plot_box(&c, TOP - 6, x, bars * ROW + 6, 1, tick[k] == 1 ? axis : grid, 1);
        snprintf(text, sizeof text, "%g", tick[k]);
        plot_caption(&c, TOP - 26, x - 20, 40, 2, text);
    }
    for (int i = 0; i < n; i++)
        for (int p = 0; p < r[i].peers; p++, y += ROW) {
            if (!p) snprintf(text, sizeof text, "%.23s %.39s", r[i].j.work, r[i].j.shape);
            plot_text(&c, y + 3, 10, 2, p ? "" : text);
            plot_text(&c, y + 3, LEFT - 116, 2, r[i].name[p]);
            for (int t = 0; t < 2; t++) {
                double u = fmin(fmax(log2(r[i].peer[p].ratio[t]), least), most);
                int one = LEFT + (int)(WIDTH * -least / (most - least));
                int x = LEFT + (int)(WIDTH * (u - least) / (most - least));
                plot_box(&c, y + t * (BAR + 1), x < one ? x : one, BAR, abs(x - one) + 1,
                         plot_hue(t), 1);
            }
            snprintf(text, sizeof text, "%5.2f %5.2f", r[i].peer[p].ratio[0],
                     r[i].peer[p].ratio[1]);
            plot_text(&c, y + 3, LEFT + WIDTH + 8, 2, text);
        }
    fd_png_save(a.st, path, c.h, c.w, c.rgb);
    need(a.st);
}

/* machine -- what it can do, on 1 and on 2 threads. */
static void machine(double peak[2], double triad[2], fd_arena a)
{
    ptrdiff_t n = (ptrdiff_t)64 << 20 >> (sizeof(fd_real) == 8);
    fd_real *x = fd_new(&a, fd_real, n), *y = fd_new(&a, fd_real, n), *z = fd_new(&a, fd_real, n);
    need(a.st);
    for (int k = 0; k < ROUNDS; k++)
        for (int t = 0; t < 2; t++) {
            threads(t + 1);
            triad[t] = fmax(triad[t], triad_rate(n, x, y, z));
            peak[t] = fmax(peak[t], fma_rate(0.02));
        }
    printf("%s\npeak %.0f, %.0f GFLOP/s; triad %.1f, %.1f GB/s on 1, 2 threads\n\n", fd_build(),
           1e-9 * peak[0], 1e-9 * peak[1], 1e-9 * triad[0], 1e-9 * triad[1]);
}

/* say_more -- errors of transforms and memory of steps, below the table. */
static void say_more(int count, const result *all)
{
    int first = 1;
    for (int i = 0; i < count; i++)
        if (all[i].error[0] > 0)
            printf("relative error of %-6s %-13s %.2e, FFTW %.2e\n", all[i].j.work, all[i].j.shape,
                   all[i].error[0], all[i].error[1]);
    for (int i = 0; i < count; i++)
        if (all[i].bytes > 0) {
            if (first) printf("\n");
            first = 0;
            printf("memory of %-13s arena %7.1f MB", all[i].j.work, 1e-6 * all[i].bytes);
            if (all[i].torch_bytes > 0) printf(", PyTorch %7.1f MB", 1e-6 * all[i].torch_bytes);
            printf("\n");
        }
}

int main(int argc, char **argv)
{
    static result all[ROWS];
    const char *prefix = argc > 1 ? argv[1] : "";
    fd_status st;
    void *pool = NULL;
    int count = 0, chosen = 0, with_torch = 0;
    if (argc > 2 && !((slot = atof(argv[2])) > 0)) die("SECONDS is no positive number");
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < ROWS; i++) {
        if (strncmp(rows[i].work, prefix, strlen(prefix))) continue;
        chosen++;
        with_torch |= rows[i].make != gemm_make && rows[i].make != cfft_make;
    }
    if (!chosen) die("no row starts so");
    if (posix_memalign(&pool, (size_t)1 << 21, POOL)) die("no memory");
#ifdef MADV_HUGEPAGE
    madvise(pool, POOL, MADV_HUGEPAGE);
#endif
    peers_find(with_torch);

    fd_arena a = fd_arena_over(pool, POOL, &st);
    double triad[2] = { 0, 0 }, peak[2] = { 0, 0 };
    machine(peak, triad, a);
    printf("%-13s%-22s%9s%9s%7s%6s%9s%9s%7s  %-9s%9s%9s%7s%7s\n", "work", "shape", "T1 ms",
           "GFLOP/s", "% peak", "% bw", "T2 ms", "GFLOP/s", "% peak", "peer", "T1 ms", "T2 ms",
           "T1", "T2");

    for (int i = 0; i < ROWS; i++) {
        if (strncmp(rows[i].work, prefix, strlen(prefix))) continue;
        result *r = &all[count++];
        job *j = &r->j;
        a = fd_arena_over(pool, POOL, &st);
        snprintf(j->work, sizeof j->work, "%s", rows[i].work);
        memcpy(j->n, rows[i].n, sizeof j->n);
        rows[i].make(j, &a);
        need(&st);
        j->mem = a;
        measure(r, peak, triad);
        if (j->ours == step_ours) {
            r->bytes = (double)(st.size - st.low);
            r->torch_bytes = torch[0].to ? torch_memory(j->torch) : NAN;
        }
        show(r);
        r->error[0] = 0;
        if (sizeof(fd_real) == 4
            && (j->ours == rfft2_ours || j->ours == rfft1_ours || j->ours == cfft_ours))
            transform_errors(j, r->error);
    }
    say_more(count, all);
    mkdir("out", 0777);
    mkdir("out/bench", 0777);
    if (FD_W == 1) beside("out/bench/bench.csv", count, all);
    save_csv("out/bench/" TABLE ".csv", count, all);
    save_bars("out/bench/" TABLE ".png", count, all, fd_arena_over(pool, POOL, &st));
    printf("wrote out/bench/" TABLE ".csv, out/bench/" TABLE ".png\n");
    return 0;
}
