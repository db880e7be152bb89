/* fd.h -- function-space diffusion models: the one public header.
 *
 * A diffusion model of functions is put together from plain values. A space says where functions
 * are sampled. A covariance is the law of the noise on it. A process says how data and noise are
 * mixed at time t. A model says what the data were, given the mixture: an exact one or a network.
 * A sampler names these and a list of times, and a run steps from noise to data:
 *
 *     fd_status  st;                                          errors end up here
 *     fd_arena   a     = fd_arena_over(mem, sizeof mem, &st); all memory comes from here
 *     fd_space   s     = fd_grid(&a, 1, (int[]){64}, NULL, NULL, 1);
 *     fd_cov    *noise = fd_cov_matern(&a, &s, 1.0, 0.1, 1.5);
 *     fd_cov    *data  = fd_cov_matern(&a, &s, 1.0, 0.3, 2.5);
 *     fd_process p     = fd_vp(noise, 0.1, 20.0);
 *     fd_model   m     = fd_oracle_gauss(&a, &p, NULL, data);
 *     double     t[51];
 *     fd_times(&p, FD_UNIFORM, 0, 50, t, &st);
 *     fd_sampler how   = { .p = &p, .model = m, .t = t, .steps = 50, .scheme = FD_ANCESTRAL };
 *     fd_run    *run   = fd_begin(&a, &how, fd_seed(1), 0, 16);
 *     while (fd_step(run, a)) { }                             run->x is [16][1][64]
 *     char why[160];
 *     if (fd_explain(&st, why, sizeof why)) puts(why);        the first failure of them all
 *
 * Conventions, stated once:
 *
 *   layout    A batch of functions is [b][ch][points], row-major, last grid axis fastest.
 *   modes     e_k are real orthonormal eigenfunctions of the Laplacian, as many as points:
 *             x = sum_k u_k e_k, u_k = <x, e_k> in L2 of the domain, [b][ch][modes]. A coefficient
 *             belongs to a physical mode and does not change with the grid (section 6).
 *   noise     C e_k = lam_k e_k, with lam_k a function of the physical mode: the law is the same on
 *             every grid.
 *   process   X_t | X_0 = x0 ~ N(m_k x0_k, v_k lam_k) for each mode k; data are at t = 0, noise at
 *             t = tmax.
 *   memory    Nothing is allocated or freed behind your back. With `fd_arena *a` the result stays
 *             in the arena; `fd_arena scratch`, by value, is free again on return.
 *   errors    The first failure sticks in fd_status. Every function accepts the NULL of a failed
 *             constructor and does nothing once a failure is recorded, so one test at the end of a
 *             chain is enough. A function of sections 3 to 7, 17 and 18 that fails leaves its
 *             output as it was; one that returns a number then returns NAN.
 *             A model, an observation or a potential of the user's fails by fd_fail, too; after
 *             a failure none of them is called.
 *   threads   Work is split over independent outputs only: results do not depend on the number of
 *             threads or on how a batch is split. Called within a parallel region, a function runs
 *             on the calling thread alone. Plans, spaces, covariances, processes and models are
 *             read-only once made.
 *   numbers   Where a number or an array has a default, the comment says so: "NULL: 0" means that
 *             NULL stands for zeros.
 *
 * The sections, in the order in which a program needs them:
 *
 *   the ground       1 numbers, 2 memory and errors, 3 random streams, 4 transforms,
 *                    5 linear algebra, 6 spaces, 7 covariance operators
 *   diffusion        8 forward processes, 9 models, 10 training pairs, 11 sampling
 *   given something  12 observations and posteriors, 13 Langevin dynamics and Markov chains,
 *                    14 bridges, control, rewards
 *   networks         15 tape, 16 networks
 *   outside          17 files, 18 metrics
 *
 * and last what the .c files share, which is no part of the interface. Papers are cited by key and
 * number, as in [SDE eq. 6]: examples/methods.md lists the keys, `make index` the lines of the
 * code. "Corrected" points to the errata at the end of sde.c. */
#ifndef FD_H
#define FD_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header, 10000 * major + 100 * minor + patch, and as text.
 *
 * Changes, for users:
 *   0.1.0   The first version, not yet released: until it is, names may change without notice, as
 *           those of fd_arch did, which stand in structs of their own (.modes is .fno.modes now).
 *           Files that fd_net_save has written stay readable (see fd_net_load). */
#define FD_VERSION 100
#define FD_VERSION_TEXT "0.1.0"

/* ---- 1. Numbers ---------------------------------------------------------------------------------
 *
 * Functions are arrays of fd_real, float or with -DFD_DOUBLE double. Times, eigenvalues and
 * coefficients of processes are double in both. */

#ifdef FD_DOUBLE
typedef double fd_real;
#define fd_arena_over fd_arena_over_double     /* float and double objects refuse to link */
#else
typedef float fd_real;
#endif
typedef struct { fd_real re, im; } fd_cplx;

/* fd_build -- how the library was compiled, e.g. "float, vectors of 64 bytes, OpenMP".
 *
 * With -DFD_STRICT (make STRICT=1) and -ffp-contract=off the bits are the same from every compiler,
 * vector width and machine; it is an #error where float is computed in a wider type
 * (FLT_EVAL_METHOD). What is not sums, products, quotients and roots (exp, sin, pow, ..) comes from
 * libm, in double. In float builds it is rounded to float, so that two libraries that are right to
 * the last bit or so of double differ in one such number of some 10^8. With FD_DOUBLE, and in
 * numbers that stay double, the same libm is needed for the same bits (glibc's differs between
 * processors). make hash and make cross test whether the bits are the same.
 *
 * -DFD_PLAIN builds of every kernel the plain loop that the fast one is written after: the code to
 * read beside the papers, without vectors. Numbers then differ by rounding.
 *
 * -DFD_SMALL, for microcontrollers, makes a third less code, with the same bits, but slower. It is
 * without dense spaces, correctors and schemes of several stages, which then fail with FD_EARG. */
const char *fd_build(void);

/* ---- 2. Memory and errors -----------------------------------------------------------------------
 *
 * An arena is the free part of a buffer. To take memory moves its begin; to hand it on by value
 * gives a function scratch that is free again when it returns. An arena knows its status, and so
 * every function that gets one can record a failure there:
 *
 *     static char mem[1 << 20];
 *     fd_arena a = fd_arena_over(mem, sizeof mem, &st);
 *     double  *w = fd_new(&a, double, 100);               cleared; NULL once anything has failed
 *     printf("%zu bytes would do\n", fd_need(&st, mem)); */

enum {
    FD_OK,
    FD_ENOMEM,                     /* the arena is too small */
    FD_EARG,                       /* an argument is out of its range */
    FD_ESHAPE,                     /* sizes do not go together */
    FD_EDATA,                      /* what the data or the file say cannot be right */
    FD_EIO,                        /* the system refuses */
    FD_ENAN                        /* a result is not finite */
};

typedef struct {                   /* the first failure; later ones are ignored */
    int code;                      /* FD_OK or the kind */
    const char *where, *what;      /* string literals: the function, and what was wrong */
    long long v[4];                /* the numbers that go with 'what' ... */
    int nv;                        /* ... and how many of them there are */
    char name[96];                 /* a file, key or option that 'what' is about, or "" */
    size_t size, low;              /* arena bytes from a multiple of 64: given; fewest ever left */
} fd_status;

typedef struct { char *beg, *end; fd_status *st; } fd_arena;      /* free: [beg, end) */

/* fd_arena_over -- an arena over a buffer that the caller owns; st is reset. It begins at the first
 * multiple of 64 in mem, from which on st->size counts. */
fd_arena fd_arena_over(void *mem, size_t size, fd_status *st);
/* fd_need -- the size that a buffer at mem must have for all that was done with arenas of st since
 * fd_arena_over: not a byte less suffices. mem NULL: for a buffer anywhere, which is 63 bytes more
 * than for one at a multiple of 64.
 *
 * To know the size beforehand, do the same work once, as a dry run, in a buffer that is large
 * enough: most systems do not charge for what is never touched. One step is enough where all steps
 * are alike, since memory depends on shapes and settings, not on numbers. It also depends on the
 * number of threads that OpenMP would use (call omp_set_num_threads before the dry run; it may be
 * more than there are cores), on the width of vectors (fd_build; -DFD_SCALAR as on small machines)
 * and, a little, on the size of pointers. */
size_t fd_need(const fd_status *st, const void *mem);

/* fd_fail -- record a failure unless one stands already; returns st->code. nv of v0..v3 count.
 * FD_FAIL(st, code, where, what, ...) -- the same with up to four numbers, as many as are given. */
static inline int fd_fail(fd_status *st, int code, const char *where, const char *what,
                          int nv, long long v0, long long v1, long long v2, long long v3)
{
    if (!st->code) {
        st->code = code; st->where = where; st->what = what; st->nv = nv;
        st->v[0] = v0; st->v[1] = v1; st->v[2] = v2; st->v[3] = v3; st->name[0] = 0;
    }
    return st->code;
}
#define FD_FAIL(st, code, where, ...) \
    FD_FAIL_(st, code, where, FD_FAIL_COUNT_(__VA_ARGS__, 4, 3, 2, 1, 0, 0), __VA_ARGS__, \
             0, 0, 0, 0, 0)
#define FD_FAIL_COUNT_(what, v0, v1, v2, v3, n, ...) n
#define FD_FAIL_(st, code, where, n, what, v0, v1, v2, v3, ...) \
    fd_fail(st, code, where, what, n, (long long)(v0), (long long)(v1), (long long)(v2), \
            (long long)(v3))

/* fd_fail_as -- record the failure of another status, if it has one. */
static inline int fd_fail_as(fd_status *st, const fd_status *other)
{
    size_t size = st->size, low = st->low;
    if (st->code || !other->code) return st->code;
    *st = *other;
    st->size = size; st->low = low;
    return st->code;
}

/* fd_fail_name -- the same for something that has a name: a file, a key, an option. */
static inline int fd_fail_name(fd_status *st, int code, const char *where, const char *what,
                               const char *name)
{
    if (!st->code) {
        size_t n = strlen(name), m = sizeof st->name - 1;
        FD_FAIL(st, code, where, what);
        if (n > m) name += n - m;                     /* keep the end of a long path */
        memcpy(st->name, name, strlen(name) + 1);
    }
    return st->code;
}

/* Built with AddressSanitizer, or with -DFD_VALGRIND to be run by valgrind, FD_REDZONE bytes before
 * and behind every piece and what is free behind the last one may not be touched: fd_hide forbids
 * the free bytes of an arena, of a longer rest the first FD_AHEAD; fd_show allows a piece. In all
 * other builds FD_REDZONE is 0 and they do nothing. */
enum { FD_AHEAD = 1 << 18 };
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define FD_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FD_ASAN
#endif
#ifdef FD_ASAN
#define FD_REDZONE 64
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
#define FD_FORBID(p, n) __asan_poison_memory_region(p, n)
#define FD_ALLOW(p, n)  __asan_unpoison_memory_region(p, n)
#elif defined(FD_VALGRIND)
#include <valgrind/memcheck.h>
#define FD_REDZONE 64
#define FD_FORBID(p, n) VALGRIND_MAKE_MEM_NOACCESS(p, n)
#define FD_ALLOW(p, n)  VALGRIND_MAKE_MEM_UNDEFINED(p, n)
#else
#define FD_REDZONE 0
#define FD_FORBID(p, n) ((void)(p), (void)(n))
#define FD_ALLOW(p, n)  ((void)(p), (void)(n))
#endif
static inline void fd_hide(const fd_arena *a)
{
    const size_t left = (size_t)(a->end - a->beg);
    FD_FORBID(a->beg, left < FD_AHEAD ? left : FD_AHEAD);
}
static inline void fd_show(void *p, size_t size) { FD_ALLOW(p, size); }

/* fd_take -- count elements of the given size, 64-byte aligned, not cleared. NULL once anything
 * has failed, or when the arena is too small: then FD_ENOMEM with the size that was wanted. */
static inline void *fd_take(fd_arena *a, size_t count, size_t size)
{
    size_t pad = ((size_t)(0 - (uintptr_t)a->beg) & 63) + FD_REDZONE;
    size_t left = (size_t)(a->end - a->beg);
    char *p;
    if (a->st->code) return NULL;
    if (pad + FD_REDZONE > left || (size && count > (left - pad - FD_REDZONE) / size))
        return FD_FAIL(a->st, FD_ENOMEM, "fd_alloc",
                       "arena too small: elements, bytes each, bytes left",
                       count, size, left), NULL;
    p = a->beg + pad;
    fd_hide(a);
    fd_show(p, count * size);
    a->beg = p + count * size + FD_REDZONE;
    left = (size_t)(a->end - a->beg);
    if (left < a->st->low) a->st->low = left;
    return p;
}

/* fd_alloc -- fd_take, cleared. fd_new (cleared) and fd_raw (not cleared) are told a type. */
static inline void *fd_alloc(fd_arena *a, size_t count, size_t size)
{
    void *p = fd_take(a, count, size);
    return p ? memset(p, 0, count * size) : NULL;
}
#define fd_new(a, type, n) ((type *)fd_alloc((a), (size_t)(n), sizeof(type)))
#define fd_raw(a, type, n) ((type *)fd_take((a), (size_t)(n), sizeof(type)))

/* fd_explain -- write the failure as one line, e.g. "fd_matmul: inner sizes differ: 32, 64", or ""
 * where there is none; returns st->code. It needs no printf. */
int fd_explain(const fd_status *st, char *buf, size_t size);
/* fd_escape -- s as one line that is safe to print, cut to size - 1 bytes: control characters
 * become \n, \t, \r or \xHH. Returns buf. Print names and metadata of files through it. */
char *fd_escape(const char *s, char *buf, size_t size);

/* ---- 3. Random streams --------------------------------------------------------------------------
 *
 * A stream is a key, and its element i depends on key and i only: there is no state, and so numbers
 * can be drawn in any order and by any thread. The bits are those of Philox4x32-10 [Random123].
 * They, and the normals made from them in float by our own polynomials, are the same in every build
 * (double ones widen them) and on every machine, if float is computed as float: FLT_EVAL_METHOD 0,
 * which the Makefile's flags see to. (On x87 and, with -std=c99 alone, on s390x normals differ in
 * the last bits.)
 *
 *     fd_rng r = fd_seed(1);
 *     fd_uniform(fd_stream(r, 't', epoch), n, x);          one stream for each purpose and index */

typedef struct { uint32_t key[2]; } fd_rng;

/* fd_seed -- the stream of a seed. */
fd_rng fd_seed(uint64_t seed);
/* fd_stream -- an independent stream for a purpose (one character by custom) and an index. */
fd_rng fd_stream(fd_rng r, uint32_t purpose, uint32_t i);
/* fd_philox -- the block function: out = Philox4x32-10(key, ctr). */
void fd_philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4]);
/* fd_normal4 -- the four standard normals of one block of words o, by Box-Muller: for h = 0, 1,
 * with u = (o[h] + 1/2) 2^-32 and w = o[2 + h] 2^-32,
 *     z[h] = sqrt(-2 log u) cos(2 pi w),  z[2 + h] = sqrt(-2 log u) sin(2 pi w).  At most 6.76. */
void fd_normal4(fd_rng r, const uint32_t ctr[4], float z[4]);
/* fd_uniform -- x[i] in (0,1), 53 bits rounded to fd_real (at most the largest number below 1). */
void fd_uniform(fd_rng r, ptrdiff_t n, fd_real *x);
/* fd_normal -- x[i] ~ N(0,1): for i = 32 g + 16 s + 2 b + h (s, h = 0, 1; b = 0..7) it is
 * z[2 s + h] of block 8 g + b, which is the order that fills vectors. */
void fd_normal(fd_rng r, ptrdiff_t n, fd_real *x);
/* fd_index -- element i of a stream of integers uniform on 0..n-1, by a 64-bit product without
 * rejection: the bias is below n 2^-64. */
int  fd_index(fd_rng r, uint64_t i, int n);
/* fd_perm -- p is a random permutation of 0..n-1 (Fisher-Yates). */
void fd_perm(fd_rng r, int n, int *p);

/* ---- 4. Transforms ------------------------------------------------------------------------------
 *
 * fft.c needs sections 1 and 2 only. A plan is made once for each length and kind, and transforms
 * any number of lines in place, with any distance and stride:
 *
 *     fd_fft *plan = fd_fft_plan(&a, FD_DCT2, 100);
 *     fd_fft_run(plan, 0, 1.0, lines, 100, 1, x, a);
 *
 * Nothing is normalised: y = scale * sum, by the conventions of FFTW and of scipy.fft. With j and k
 * from 0 to n-1:
 *
 *   FD_C2C    y_k = sum_j x_j exp(sign 2 pi i jk/n)            elements are fd_cplx
 *   FD_R2C    sign -1: n reals to r0, r1, i1, r2, i2, ... (and r_n/2 last where n is even), where
 *             r_k + i i_k = sum_j x_j exp(-2 pi i jk/n); sign +1: back, times n. In place, n reals.
 *   FD_DCT1   x_0 + (-1)^k x_n-1 + 2 sum_{0<j<n-1} x_j cos(pi jk/(n-1)); n >= 2;
 *             its inverse is FD_DCT1 / 2(n-1)
 *   FD_DCT2   2 sum x_j cos(pi (j+1/2) k/n); its inverse is FD_DCT3 / 2n
 *   FD_DCT3   x_0 + 2 sum_{j>0} x_j cos(pi j (k+1/2)/n); its inverse is FD_DCT2 / 2n
 *   FD_DCT4   2 sum x_j cos(pi (j+1/2)(k+1/2)/n); its inverse is FD_DCT4 / 2n
 *   FD_DST1   2 sum x_j sin(pi (j+1)(k+1)/(n+1)); its inverse is FD_DST1 / 2(n+1)
 *   FD_DST2   2 sum x_j sin(pi (j+1/2)(k+1)/n); its inverse is FD_DST3 / 2n
 *   FD_DST3   (-1)^k x_n-1 + 2 sum_{j<n-1} x_j sin(pi (j+1)(k+1/2)/n); its inverse is FD_DST2 / 2n
 *   FD_DST4   2 sum x_j sin(pi (j+1/2)(k+1/2)/n); its inverse is FD_DST4 / 2n */

enum { FD_C2C, FD_R2C, FD_DCT1, FD_DCT2, FD_DCT3, FD_DCT4, FD_DST1, FD_DST2, FD_DST3, FD_DST4 };
typedef struct fd_fft fd_fft;                          /* a plan: read-only once made */

/* fd_fft_plan -- for any n >= 1 (FD_DCT1: n >= 2). Factors 2, 3, 4, 5, 7, 8, 11, 16 have passes of
 * their own, other primes a generic one, or Bluestein's algorithm where that is cheaper. FD_ESHAPE
 * for n out of range. */
fd_fft *fd_fft_plan(fd_arena *a, int kind, int n);

/* fd_fft_run -- transform many lines in place.
 *
 *   sign     -1 or +1 (FD_C2C, FD_R2C); ignored by the others
 *   scale    multiplies the result
 *   lines    how many; line l has its element j at x[l*dist + j*stride]. dist and stride count
 *            elements: fd_cplx for FD_C2C (x is then fd_cplx cast to fd_real *), else fd_real.
 *
 * A line lies in each lane of a vector, or, where it is long and contiguous, fills the vector
 * alone: the choice depends on n and stride only, so the bits of a line do not depend on its
 * place. */
void fd_fft_run(const fd_fft *p, int sign, double scale, ptrdiff_t lines, ptrdiff_t dist,
                ptrdiff_t stride, fd_real *x, fd_arena scratch);

/* fd_rfftn, fd_irfftn -- b real grids of nd axes to their half spectra and back: u is
 * [b][n0]..[n_last/2+1] complex, the convention of numpy.fft.rfftn, with no scale in either
 * direction but the argument. fd_irfftn drops, as numpy does, the imaginary part of the
 * self-conjugate columns after the complex inverse over the other axes; u is not changed. x and u
 * must not overlap. */
void fd_rfftn(int nd, const int n[], int b, double scale, const fd_real *x, fd_cplx *u,
              fd_arena scratch);
void fd_irfftn(int nd, const int n[], int b, double scale, const fd_cplx *u, fd_real *x,
               fd_arena scratch);

/* ---- 5. Linear algebra --------------------------------------------------------------------------
 *
 * Matrices are row-major. Products are of fd_real; factorisations are small, and in double. */

/* fd_gemm -- C = alpha op(A) op(B) + beta C, where op(A) is m x k and op(B) k x n, with leading
 * dimensions lda, ldb, ldc (of the stored matrices). ta, tb: 1 for the transpose. C must not
 * overlap A or B; beta = 0 does not read C. Each entry is one sum over k in ascending order (long
 * k: over blocks whose size depends on k alone), so its bits do not depend on m, n or threads. */
void fd_gemm(int ta, int tb, int m, int n, int k, double alpha, const fd_real *A, int lda,
             const fd_real *B, int ldb, double beta, fd_real *C, int ldc, fd_arena scratch);
/* fd_gemm_batch -- the same for `count` triples at A + i sa, B + i sb, C + i sc; a stride of 0
 * shares the operand (not C). */
void fd_gemm_batch(int count, int ta, int tb, int m, int n, int k, double alpha,
                   const fd_real *A, int lda, ptrdiff_t sa, const fd_real *B, int ldb, ptrdiff_t sb,
                   double beta, fd_real *C, int ldc, ptrdiff_t sc, fd_arena scratch);
/* fd_cholesky -- A = L L^T in place, lower triangle, the upper one set to 0. FD_EDATA, with the
 * row, where A [n][n] is not positive definite: the rows before it are then those of L. No jitter
 * is added. */
int  fd_cholesky(fd_status *st, int n, double *A);
/* fd_solve_lower -- x = L^-1 x, or with trans = 1 x = L^-T x. */
void fd_solve_lower(int n, const double *L, int trans, double *x);
/* fd_eigen -- symmetric A = V diag(w) V^T (Householder tridiagonalisation, implicit QL): w is in
 * descending order, row i of V [n][n] is the eigenvector of w[i]; A is overwritten. The sign of a
 * vector makes its entry of largest magnitude positive. FD_EDATA if an entry is not finite, or if
 * QL does not end, where A, w and V are lost. */
int  fd_eigen(fd_status *st, int n, double *A, double *w, double *V, fd_arena scratch);

/* ---- 6. Spaces: what a function is sampled on ---------------------------------------------------
 *
 * A space is a grid of 1 to 3 axes, or any set of points with weights, together with an orthonormal
 * basis of functions. It is a plain value, made once and read by everything else:
 *
 *     fd_space s = fd_grid(&a, 2, (int[]){64, 64}, NULL, NULL, 1);
 *     fd_to_modes(&s, b, x, u, a);                         u [b][1][64*64] from x [b][1][64*64]
 *
 * One axis of length L with n points; the e_j are orthonormal in L2(0, L):
 *
 *   boundary      points x_i            mode j = 0..n-1                           -d2/dx2
 *   FD_PERIODIC   i L/n                 j = 0: 1/sqrt L;                          0
 *                                       j = 2k-1: sqrt(2/L) cos(2 pi k x/L);      (2 pi k/L)^2
 *                                       j = 2k: sqrt(2/L) sin(2 pi k x/L);        (2 pi k/L)^2
 *                                       n even, j = n-1: cos(pi n x/L)/sqrt L, the Nyquist mode
 *   FD_NEUMANN    (i+1/2) L/n           1/sqrt L; sqrt(2/L) cos(pi j x/L)         (pi j/L)^2
 *   FD_DIRICHLET  (i+1) L/(n+1)         sqrt(2/L) sin(pi (j+1) x/L)               (pi (j+1)/L)^2
 *   FD_MIXED      (i+1/2) L/n           sqrt(2/L) sin(pi (j+1/2) x/L)             (pi (j+1/2)/L)^2
 *
 * FD_MIXED is zero at 0 and free at L, as Brownian motion is. Modes of more axes are products, with
 * the mode index row-major over (j_0, j_1, ..); channels are apart. All points of a grid have the
 * same weight h: <x, y> = h sum x y, for which the modes are orthonormal on the grid too. */

enum { FD_PERIODIC, FD_NEUMANN, FD_DIRICHLET, FD_MIXED };
enum { FD_MAXD = 6 };

typedef struct {
    int nd, n[3], bc[3], ch;          /* nd = 0: a failed or dense space; unused axes have n = 1 */
    double len[3], h;                 /* h: weight of a grid point */
    ptrdiff_t points, modes;          /* per channel */
    const fd_fft *to[3], *from[3];    /* transforms of each axis */
    const fd_real *basis;             /* dense spaces: e_k at the points [modes][points]; or NULL */
    const fd_real *weight;            /* dense spaces: quadrature weight of each point; else NULL */
    const fd_real *at;                /* dense spaces, set by the caller: coordinates [points][axes]
                                       * in [0, len], for networks that take points anywhere */
} fd_space;

/* fd_grid -- nd = 1..3 axes of n points. len NULL: 1 each; bc NULL: periodic; ch channels. The
 * arena takes the plans of the transforms. */
fd_space  fd_grid(fd_arena *a, int nd, const int n[], const double len[], const int bc[], int ch);
/* fd_dense -- any set of points with weights and an orthonormal basis of its own (kernel matrices,
 * principal components): basis [modes][points] with sum_i weight_i e_j(x_i) e_k(x_i) = delta_jk.
 * Both arrays are kept by pointer. like: the grid that the points belong to, or NULL. */
fd_space  fd_dense(const fd_space *like, ptrdiff_t points, ptrdiff_t modes, const fd_real *basis,
                   const fd_real *weight, int ch);
/* fd_size -- reals of one function: ch * points. */
ptrdiff_t fd_size(const fd_space *s);
/* fd_coord -- coordinate of grid index i along an axis. */
double    fd_coord(const fd_space *s, int axis, int i);
/* fd_mode -- the per-axis indices j[] of mode k; returns 1 where k is a Nyquist mode (any axis). */
int       fd_mode(const fd_space *s, ptrdiff_t k, int j[3]);
/* fd_wave -- the wavenumber of mode k: the norm over the axes of the number of waves (FD_PERIODIC)
 * or half waves on the domain's length. On an axis that is (j + 1)/2 rounded down for FD_PERIODIC,
 * j for FD_NEUMANN, j + 1 for FD_DIRICHLET, j + 1/2 for FD_MIXED. mu, where not NULL, gets the
 * mode's eigenvalue of -Laplacian. NAN on a dense space. */
double    fd_wave(const fd_space *s, ptrdiff_t k, double *mu);
/* fd_laplace -- mu[k], eigenvalues of -Laplacian, [modes]. FD_EARG on a dense space. */
void      fd_laplace(const fd_space *s, double *mu, fd_arena scratch);
/* fd_to_modes, fd_from_modes -- u = <x, e_k>, and x = sum u_k e_k; [b][ch][points], [b][ch][modes]
 * [Thesis eqs. 3.68, 3.69, corrected]. u may be x, in a buffer for the longer one. */
void      fd_to_modes(const fd_space *s, int b, const fd_real *x, fd_real *u, fd_arena scratch);
void      fd_from_modes(const fd_space *s, int b, const fd_real *u, fd_real *x, fd_arena scratch);
/* fd_modes_between -- copy modes u [b][ch][from->modes] to w [b][ch][to->modes], of another grid of
 * the domain: shared modes are kept, others are 0, Nyquist modes are dropped. Nothing is done where
 * the grids have different numbers of axes or channels. */
void      fd_modes_between(const fd_space *from, const fd_space *to, int b, const fd_real *u,
                           fd_real *w);
/* fd_resample -- the same function on another grid: exact for band-limited functions, up, down, odd
 * sizes [Thesis eqs. 3.65-3.67, corrected]. FD_ESHAPE where axes, lengths, boundaries or channels
 * differ. x and y must not overlap. */
void      fd_resample(const fd_space *from, const fd_space *to, int b, const fd_real *x, fd_real *y,
                      fd_arena scratch);
/* fd_modes_at -- E[i][k] = e_k at the places at [m][nd] in the domain, or, where half [m][nd] is
 * not NULL, the mean of e_k over the box of these half widths about the place; E [m][modes].
 * Nyquist modes get 0. For a space that is no grid nothing is written. */
void      fd_modes_at(const fd_space *s, int m, const double *at, const double *half, fd_real *E);
/* fd_inner -- <x, y> of two functions, summed over channels; NAN on a failed space. */
double    fd_inner(const fd_space *s, const fd_real *x, const fd_real *y);

/* ---- 7. Covariance operators --------------------------------------------------------------------
 *
 * A covariance is the law of Gaussian noise on functions: C e_k = lam_k e_k, a number for each
 * mode. lam is a function of the physical mode, never of the grid; Nyquist modes have lam = 0.
 * Channels are independent copies.
 *
 *     fd_cov *c = fd_cov_matern(&a, &s, 1.0, 0.1, 1.5);
 *     fd_cov_draw(c, fd_seed(1), 0, 16, x, a);             16 functions of the law N(0, C)
 *
 * With w = sqrt(mu_k), mu_k the eigenvalue of -Laplacian, d axes and the distance r:
 *
 *   fd_cov_white     sigma^2 where all wavenumbers are <= kmax. kmax = 0 keeps all modes: the pixel
 *                    variance then grows with the grid, so it is no law on functions
 *   fd_cov_rbf       kernel var exp(-r^2/2l^2):
 *                    lam = var (2 pi l^2)^(d/2) exp(-l^2 w^2/2)
 *   fd_cov_matern    the usual kernel of the argument sqrt(2 nu) r/l:
 *                    lam = var (4 pi)^(d/2) Gamma(nu+d/2)/Gamma(nu)
 *                          (2 nu/l^2)^nu (2 nu/l^2 + w^2)^-(nu+d/2)
 *   fd_cov_exp       kernel var exp(-r/l), which is matern with nu = 1/2. [DDO]'s rbf omits the
 *                    square of the distance, and is this with l = 2 scale^2: at the released .05 it
 *                    is nearly white, as [FFM]'s with l = .001 is
 *   fd_cov_power     lam = s (w^2 + tau^2)^-alpha; where tau = 0 the constant mode carries nothing.
 *                    [FNO]'s Navier-Stokes: alpha = 2.5, tau = 7, s = 2 tau^3 in the code,
 *                    tau^(3/2) in print
 *   fd_cov_bessel    lam = s (c + w^2)^-gamma
 *   fd_cov_bridge    kernel var (min(x,y) - xy/L): lam = var/w^2 on Dirichlet axes
 *   fd_cov_brownian  kernel var min(x,y): lam = var/w^2 on mixed axes
 *
 * For the last two and d > 1 lam is the product of the one-dimensional eigenvalues (sheets). The
 * kernels of all but these are periodised or reflected: the kernel as written plus its images,
 * sum_m k(x - y + m L) on periodic axes. So var is the variance of a pixel only where l is short
 * beside the domain: for rbf it is var times 1 + 7e-6 (l = L/5), 1.27 (L/2), 2.51 (L), 25 (10 L)
 * for each periodic axis. fd_cov_pixel says it; with var^2 over that number in place of var it is
 * var. */

/* a function of the eigenvalue mu of -Laplacian, given by the user */
typedef double fd_cov_rule(double mu, const void *self);
typedef struct {
    fd_space s;
    double *lam;                      /* [modes] */
    int kind;                         /* FD_COV_* below */
    double prm[4];                    /* as given, so that fd_cov_on can make it again ... */
    fd_cov_rule *rule;                /* ... like these of fd_cov_function */
    const void *self;
} fd_cov;
enum { FD_COV_TABLE, FD_COV_WHITE, FD_COV_RBF, FD_COV_MATERN, FD_COV_POWER, FD_COV_BRIDGE,
       FD_COV_BROWNIAN, FD_COV_DENSE, FD_COV_FUNCTION };

fd_cov *fd_cov_white(fd_arena *a, const fd_space *s, double sigma2, int kmax);
fd_cov *fd_cov_rbf(fd_arena *a, const fd_space *s, double var, double ell);
fd_cov *fd_cov_matern(fd_arena *a, const fd_space *s, double var, double ell, double nu);
fd_cov *fd_cov_exp(fd_arena *a, const fd_space *s, double var, double ell);
fd_cov *fd_cov_power(fd_arena *a, const fd_space *s, double scale, double tau, double alpha);
fd_cov *fd_cov_bessel(fd_arena *a, const fd_space *s, double scale, double c, double gamma);
fd_cov *fd_cov_bridge(fd_arena *a, const fd_space *s, double var);      /* all axes Dirichlet */
fd_cov *fd_cov_brownian(fd_arena *a, const fd_space *s, double var);    /* all axes mixed */
/* fd_cov_function -- lam_k = rule(mu_k, self), Nyquist modes 0: any operator that is a function of
 * the Laplacian, on every grid. self is kept by pointer. FD_EARG, with the mode, for a value that
 * is negative or not finite. */
fd_cov *fd_cov_function(fd_arena *a, const fd_space *s, fd_cov_rule *rule, const void *self);
/* fd_cov_table -- given eigenvalues, lam[modes] >= 0, copied. */
fd_cov *fd_cov_table(fd_arena *a, const fd_space *s, const double *lam);
/* fd_cov_kernel -- any kernel k(x, y) on the points of a grid, by the eigenvectors of its matrix,
 * which are the modes of the result (c->s). x and y are nd coordinates. Costs points^3. FD_EDATA
 * where an eigenvalue is below -1e-9 times the largest; smaller negative ones become 0. */
fd_cov *fd_cov_kernel(fd_arena *a, const fd_space *s,
                      double (*k)(const double *x, const double *y, const void *prm),
                      const void *prm);
/* fd_cov_empirical -- the stationary covariance of a data set x [m][ch][points], corrected from
 * [Thesis eq. 4.28] in four ways: it is centred at the mean, which is written to mean [ch][points]
 * where not NULL; it has our normalisation; it is averaged over channels and over the modes with
 * the same wavenumber on each axis; and it is raised to at least floor * (largest eigenvalue). It
 * is the covariance of data that are shifted, and with more axes mirrored, at random. FD_EDATA for
 * data that are not finite. */
fd_cov *fd_cov_empirical(fd_arena *a, const fd_space *s, int m, const fd_real *x, double floor,
                         fd_real *mean);
/* fd_cov_spectrum -- the same from the variances var[modes] of the modes, averaged over channels,
 * for data that are never in memory at once: cos and sin of a wavenumber get their mean. */
fd_cov *fd_cov_spectrum(fd_arena *a, const fd_space *s, const double *var, double floor);
/* fd_cov_pca -- the covariance of a data set with its own eigenvectors as modes (at most `modes`),
 * by the smaller of the two Gram matrices; c->s is dense. mean as above. */
fd_cov *fd_cov_pca(fd_arena *a, const fd_space *s, int m, const fd_real *x, int modes,
                   fd_real *mean);
/* fd_cov_on -- the same operator on another grid of the same domain. A table keeps the modes that
 * both grids have and is 0 beyond. FD_EARG for a covariance of a dense space. */
fd_cov *fd_cov_on(fd_arena *a, const fd_cov *c, const fd_space *s);

/* fd_cov_pow -- y = C^p x for b functions; y may be x. p = 1/2 colours white noise, -1/2 whitens,
 * -1 leads to the Cameron-Martin norm. FD_EDATA if p < 0 and modes with lam_k = 0 hold more than
 * 1e-10 of |x|^2 (more than rounding); y is then untouched. Modes with lam_k = 0 give 0. */
void   fd_cov_pow(const fd_cov *c, double p, int b, const fd_real *x, fd_real *y, fd_arena scratch);
/* fd_cov_draw -- b draws of N(0, C), [b][ch][points]. Draw i is function first + i of stream r,
 * whatever the batch; its mode (.., j', j) has element j, in the order of fd_normal, of the blocks
 * with counters (block, j', index before that, channel) of fd_stream(r, 'f', first + i): a finer
 * grid draws the same function. */
void   fd_cov_draw(const fd_cov *c, fd_rng r, int first, int b, fd_real *x, fd_arena scratch);
/* fd_cov_draw_modes -- the same in coefficients, [b][ch][modes]. */
void   fd_cov_draw_modes(const fd_cov *c, fd_rng r, int first, int b, fd_real *u);
/* fd_cov_pixel -- the variance of a pixel, on average over the domain. For rbf, matern and exp it
 * counts all modes, also those that no grid has, and so is the same number on every grid; for
 * others it is fd_cov_trace over the volume. */
double fd_cov_pixel(const fd_cov *c);
/* fd_cov_trace -- Tr C of one channel, sum lam_k [Thesis eq. 2.9]; NAN of NULL. */
double fd_cov_trace(const fd_cov *c);
/* fd_cov_norm2 -- <x, C^-1 x>, the squared Cameron-Martin norm of one function, all channels. NAN
 * where it failed, also as fd_cov_pow does with p < 0. */
double fd_cov_norm2(const fd_cov *c, const fd_real *x, fd_arena scratch);
/* fd_cov_std -- pointwise standard deviation sqrt(sum_k lam_k e_k(x)^2), [points]. */
void   fd_cov_std(const fd_cov *c, fd_real *sd, fd_arena scratch);

/* ---- 8. Forward processes -----------------------------------------------------------------------
 *
 * A process mixes data with noise. Per mode, X_t | X_0 = x0 ~ N(m x0, v lam), lam being the
 * eigenvalue of the noise: the process is two functions of time, m(t) and v(t), and, where `modal`
 * is set, of the mode through mu_k. With ' = d/dt it is the equation
 *
 *     dX = -a X dt + sqrt(q lam) dW,     a = -m'/m,     q = v' + 2 a v             [SDE eq. 5]
 *
 *     fd_process p = fd_vp(noise, 0.1, 20.0);
 *     fd_coef    c = fd_law(&p, 0.5, 0);                   c.m, c.v of mode 0 at t = 1/2
 *
 *   constructor      m                     v                         t, source
 *   fd_ou            exp(-t/2)             1 - exp(-t)               (0, tmax]     [Pidstrigach]
 *   fd_vp            exp(-B/2)             1 - exp(-B)               (0, 1]
 *                                          B = b0 t + (b1-b0) t^2/2
 *   fd_vp_cosine     cos(..)/cos(..)       1 - m^2                   (0, .9946]    [HDM]
 *   fd_subvp         exp(-B/2)             (1 - exp(-B))^2           (0, 1]
 *   fd_ve            1                     smin^2 (smax/smin)^2t     [0, 1]
 *   fd_driftless     1                     t                         (0, tmax]  [Thesis sec. 4.2]
 *   fd_flow          1 - t                 (t + smin (1-t))^2        [0, 1]        [FFM], t = 1 - r
 *   fd_flow_vp       cos f                 sin^2 f                   [0, 1]
 *                                          f = (t+s)/(1+s) pi/2
 *   fd_ddpm_betas    sqrt(gamma_t)         1 - gamma_t               t = 0, 1..T   [DDPM; KER]
 *   fd_ladder        1                     v1 (vT/v1)^((t-1)/(T-1))  t = 1..T      [DDO]
 *   fd_fdp           exp(-b_k B)           (1 - exp(-2 b_k B))/b_k   (0, 1]        [FDP]
 *   fd_heat          exp(-A th)            (1 - exp(-2 A th))/(2 A)  (0, tmax]     [HDM]
 *                                          A = c + kappa mu_k
 *   fd_blur          m0 exp(-mu_k w^2/2)   v0                        as m0         [DDO-SDF]
 *   fd_path          A(1 - t)              B^2 + G^2 at 1 - t        [0, 1]
 *
 * Any other process is a law of one's own in the struct, with m, v > 0 after 0 and v/m^2 not
 * falling where an SDE is wanted.
 *
 * A constructor that has no arena says in `why` what was wrong with its arguments (out of range,
 * NaN, infinite). law is then NULL, fd_law gives zeros, and the first function with a status fails
 * with FD_EARG and that text. */

/* mean factor, variance / lam, and d/dt of both */
typedef struct { double m, v, dm, dv; } fd_coef;
/* a function of time given by the user: returns its value, writes its derivative */
typedef double fd_schedule(double t, const void *self, double *slope);
typedef struct fd_process fd_process;
struct fd_process {
    const fd_cov *noise;
    double tmin, tmax;                 /* tmin: where samplers end by default */
    double prm[4];
    const double *table;               /* fd_ddpm_..: log gamma_t, t = 0..T; fd_fdp: b_k */
    int modal;                         /* 0: law ignores mu; 1: it does not; 2: mu is the index k */
    fd_coef (*law)(const fd_process *p, double t, double mu);
    fd_schedule *curve[3];             /* fd_heat: th; fd_path: A, B, G */
    const void *self;                  /* theirs; fd_blur: the process that is blurred */
    const char *why;                   /* NULL, or why there is no process */
};
fd_process fd_ou(const fd_cov *noise, double tmax);
fd_process fd_vp(const fd_cov *noise, double beta0, double beta1);
fd_process fd_vp_cosine(const fd_cov *noise);
fd_process fd_subvp(const fd_cov *noise, double beta0, double beta1);
fd_process fd_ve(const fd_cov *noise, double smin, double smax);
fd_process fd_driftless(const fd_cov *noise, double tmax);
fd_process fd_flow(const fd_cov *noise, double smin);
/* fd_ddpm_betas, fd_ddpm_gammas -- the chain x_t = sqrt(1 - beta_t) x_t-1 + sqrt(beta_t) xi, given
 * beta [T] (its element t - 1 is beta_t) between 0 and 1, or gamma [T],
 * gamma_t = prod_{u <= t} (1 - beta_u), falling between 1 and 0; copied. FD_EARG, with the step,
 * otherwise.
 *
 * A chain is defined at whole t. Between them log gamma is linear, so that m' and v' jump at whole
 * t: there fd_law gives those of the interval below, which a reverse step enters. Schemes of
 * several stages lay these out in log gamma, where a chain has no kinks, and so have their order on
 * any steps: an inner stage is halfway in log gamma, in general not at a whole t. (A blurred chain
 * whose width changes has kinks in either clock, and the order on steps that no whole t cuts.)
 *
 * fd_beta_schedule -- the usual betas, beta [T], with u = (t-1)/(T-1):
 *   FD_BETA_LINEAR     beta1 + (betaT - beta1) u                                        [DDPM; KER]
 *   FD_BETA_QUADRATIC  its square root linear    [LDM code, ldm/modules/diffusionmodules/util.py]
 *   FD_BETA_SIGMOID    beta1 + (betaT - beta1)/(1 + exp(6 - 12 u))
 *   FD_BETA_COSINE     gamma_t = cos^2(w (t/T + s))/cos^2(w s), w = pi/2/(1 + s), s = .008, betas
 *                      cut at .999; beta1 and betaT are not looked at
 *                      [iDDPM code, gaussian_diffusion.py]
 * FD_EARG where there is no such rule, T < 1, or beta1 or betaT not between 0 and 1. */
enum { FD_BETA_LINEAR, FD_BETA_QUADRATIC, FD_BETA_SIGMOID, FD_BETA_COSINE };
fd_process fd_ddpm_betas(fd_arena *a, const fd_cov *noise, int T, const double *beta);
fd_process fd_ddpm_gammas(fd_arena *a, const fd_cov *noise, int T, const double *gamma);
void       fd_beta_schedule(int rule, int T, double beta1, double betaT, double *beta,
                            fd_status *st);
/* fd_flow_vp -- the variance-preserving path of [FFM], s = .08: it ends at data times .9932 plus
 * noise, not at data. s = 0: cos(pi t/2), from data to noise, the schedule of [DDO-SDF]. */
fd_process fd_flow_vp(const fd_cov *noise, double s);
/* fd_ladder -- T noise levels, geometric in the variance, level T being the noisiest
 * [SDE eqs. 8, 20; Thesis eqs. 3.20, 3.31]. DDO's sigma_i is a variance: it adds sqrt(sigma_i) xi.
 * Released: v1 = .01, vT = 30, T = 500. */
fd_process fd_ladder(const fd_cov *noise, double v1, double vT, int T);
/* fd_fdp -- dX_k = -beta b_k X_k dt + sqrt(2 beta lam_k) dW, beta = k0 c exp(ct), k0 = .02,
 * B(1) = (beta0 + beta1)/2. b [modes] is copied, b_k >= 0 (FD_EARG otherwise); NULL: the released
 * coefficients 1/(|k|^2 + .3) + ((|k|^2 + 2)/33^2)^1/4, |k|^2 = mu/4 pi^2. They are not bounded,
 * as the paper asks, and m_k(1) is up to .345: see fd_terminal and FD_START_MATCHED. Released:
 * beta0 = .1, beta1 = 5 or 10. */
fd_process fd_fdp(fd_arena *a, const fd_cov *noise, double beta0, double beta1, const double *b);
/* fd_fdp_noise -- the released r_k = 64^2/(23.27 (|k|^2 + 2) energy), the variance of an
 * orthonormal transform of `ref` pixels, as an operator: lam = r_k/ref. ref = 0: the points of s,
 * which is what the code does, and then a mode has four times the variance on a grid half as wide.
 * [ML]'s priors and [HDM]'s images do the same. */
fd_cov    *fd_fdp_noise(fd_arena *a, const fd_space *s, double energy, ptrdiff_t ref);
/* fd_heat -- dX = -th'(t) A X dt + sqrt(th' lam) dW with an unbounded A = c + kappa (-Laplacian),
 * c >= 0. theta NULL: th = t.
 * fd_heat_cosine -- th = -log m of fd_vp_cosine. [HDM]'s images have that with c = 1,
 * kappa = 1/N^2 on a Neumann grid and lam = 2 A^-index/N^2. Its sampler starts from N(0, I), too
 * much in the top modes, and explicit Euler multiplies those by -2.6 and more in the first steps:
 * take FD_EXPONENTIAL or FD_DDIM. */
fd_process fd_heat(const fd_cov *noise, double c, double kappa, fd_schedule *theta,
                   const void *self, double tmax);
fd_process fd_heat_cosine(const fd_cov *noise, double c, double kappa);
/* fd_blur -- a scalar process m0, v0 (kept by pointer) that also blurs: by a Gaussian of the
 * standard deviation w(t) = w0 + (w1 - w0) sin^2(pi t/2 tmax). Where w0 > 0 samples are blurred
 * copies of data: D is of the sharp x0, but X_0 is not. [DDO-SDF code, lib/diffusion.py] has it of
 * fd_flow_vp with s = 0, w0 = .05/pi, w1 = .25/pi, t cut at log m^2/v = +-10; it samples
 * ancestrally, without the paper's Langevin dynamics, or by em, with m' for m'/m.
 * [inf-Diff code, diffusion.py] has w0 = w1, and noise with that blur's spectrum. */
fd_process fd_blur(const fd_process *base, double w0, double w1);
/* fd_path -- x_r = A(r) x1 + B(r) xi + G(r) z, r = 1 - t, with independent xi, z ~ N(0, C): flow
 * matching with a path of one's own, one-sided interpolants [Albergo et al. eqs. 3.15, 3.18]. G may
 * be NULL. */
fd_process fd_path(const fd_cov *noise, fd_schedule *A, fd_schedule *B, fd_schedule *G,
                   const void *self);

/* fd_terminal -- what starting from N(0, v_T C) instead of the true law costs, for data N(mean,
 * c0), mean NULL: 0 [SDE eq. 26]. kl is over modes that carry noise. */
typedef struct {
    double m; ptrdiff_t k;             /* the largest m_k(tmax), and the k */
    double kl, w2;                     /* KL(p_T | N(0, v_T C)); 2-Wasserstein distance */
    double ode, sde;                   /* distance left at tmin by the exact flow, the exact SDE */
} fd_gap;
fd_gap     fd_terminal(const fd_process *p, const fd_real *mean, const fd_cov *c0,
                       fd_arena scratch);
/* fd_conditions_at -- what the theory asks of a diffusion in function space, for data N(mean, c0)
 * at time t, as sums over the modes of this grid and all channels: a condition holds if its number
 * has a limit as the grid is refined (fd certify --conditions). a = -m'/m, q is the rate of the
 * noise, P = m^2 c + v lam. Modes that carry neither data nor noise are left out; a sum is INFINITY
 * where data have no noise. FD_ESHAPE where c0 has other modes than the noise. */
typedef struct {
    double trace;            /* sum lam = Tr C, the square of the Hilbert-Schmidt norm of C^1/2 */
    double square;           /* sum lam^2, that of C */
    double data;             /* E|X_0|^2 */
    double mean, member;     /* <mean, C^-1 mean>, E <X_0, C^-1 X_0>: in Cameron-Martin space? */
    double feldman, shift;   /* sum (P/v lam - 1)^2 and sum m^2 mean^2/v lam: for Gaussian data the
                                law of X_t is equivalent to N(0, v C) where both have a limit */
    double start, smooth;    /* E|A X_0|^2 = sum a^2 E X_0k^2, |A Q^1/2|^2 = sum a^2 q lam */
    double most;             /* max |a| */
    double drift;            /* sum a^2 Var X_t,k */
    double ratio;            /* max a^2/lam */
    double bare;             /* modes with data and without noise at t */
} fd_conditions;
fd_conditions fd_conditions_at(const fd_process *p, const fd_real *mean, const fd_cov *c0, double t,
                               fd_arena scratch);
/* fd_process_on -- the same process on another grid of the same domain, with fd_cov_on of its
 * noise. What it keeps for each mode goes along: the b of fd_fdp by physical mode (the released
 * ones are known of every mode; FD_EARG where given ones do not say that of a mode with noise), and
 * a copy of the process that fd_blur blurs. FD_EARG for a law of one's own with modal = 2. Other
 * errors are those of fd_cov_on. */
fd_process fd_process_on(fd_arena *a, const fd_process *p, const fd_space *s);
/* fd_law -- the coefficients of mode k at time t [EDM eqs. 10-12; Thesis eqs. 4.15, 4.16]. k is
 * looked at only where p->modal: zeros where there is no such mode. */
fd_coef    fd_law(const fd_process *p, double t, ptrdiff_t k);
/* fd_times -- the times of a sampler by a rule, t[0] = tmax > .. > t[steps] = tmin:
 *   FD_UNIFORM    equal steps of t
 *   FD_GEOMETRIC  equal ratios of t
 *   FD_RHO        equal steps of sigma^(1/rho), sigma = sqrt(v)/m, prm = rho, 0: 7  [EDM eq. 5]
 *   FD_LOGSNR     equal steps of log(m^2/v)
 * The last two invert sigma(t) by bisection; where m(tmax) = 0 they start at the first t with
 * sigma <= 1e4 and put tmax before it. FD_EARG, t untouched, where the times would not fall
 * (FD_GEOMETRIC to tmin = 0, FD_LOGSNR to v(tmin) = 0, where FD_RHO may end, m(tmin) = 0, a sigma
 * that is not less at tmin than at the start), and where there are no steps or no such rule. */
enum { FD_UNIFORM, FD_GEOMETRIC, FD_RHO, FD_LOGSNR };
void       fd_times(const fd_process *p, int rule, double prm, int steps, double *t, fd_status *st);

/* ---- 9. Models: anything that denoises ----------------------------------------------------------
 *
 * With x = m x0 + s xi, s = sqrt v, xi ~ N(0, C), a model knows D = E[x0 | x] in one form or
 * another, and samplers ask it for the form that they want:
 *
 *     fd_model m = fd_net_model(&a, net, FD_V);                a network that was trained to say v
 *     fd_predict(&m, FD_X0, &p, b, x, t, d, a);                what it says of x0
 *
 * It may predict, each per mode where the process is modal, with e = (x - m D)/s:
 *
 *   FD_X0          D                                       [EDM eq. 2]
 *   FD_NOISE       e                                       [DDPM eqs. 11, 14; DDIM eq. 9]
 *   FD_SCORE       C grad log p = -(x - m D)/v             [DDO th. 2; Survey eq. 2.8; Pidstrigach]
 *   FD_V           m e - s D                               [v sec. 4]; D = (m x - s v)/(m^2 + s^2)
 *   FD_VELOCITY    dx/dr, r = -t: -(m' D + s' e)           [FFM]: from noise to data
 *   FD_SCORE_HALF  C^-1/2 of FD_SCORE, no function in the limit: for a fixed grid
 *   FD_SCORE_FULL  C^-1 of FD_SCORE: grad log p in L2
 *
 * Maps to the last two fail (FD_EDATA, see fd_cov_pow) where x holds modes that carry no noise. A
 * model that is made of a process or an observation is for the points of these: asked on others it
 * records FD_ESHAPE. */

enum { FD_X0, FD_NOISE, FD_SCORE, FD_V, FD_VELOCITY, FD_SCORE_HALF, FD_SCORE_FULL };
typedef void fd_ask(void *of, int first, int b, const fd_real *y, fd_real *dy, fd_arena scratch);
typedef struct {
    int predicts;
    /* y = prediction at (x, t): b functions on s, each with its own time; y must not be x */
    void (*eval)(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                 fd_real *y, fd_arena scratch);
    /* dx = (d prediction / dx)^T dy; NULL where not offered */
    void (*vjp)(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                const fd_real *dy, fd_real *dx, fd_arena scratch);
    /* w = Var(x0_k | x) per mode, [b][ch][modes]; NULL where not known */
    void (*var)(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                fd_real *w, fd_arena scratch);
    const void *self;
    /* y and dx at once, where dy depends on y: in parts of b functions from `first` on, ask is
     * told y and says dy, both of these b functions only. NULL: guidance asks eval and vjp, one
     * evaluation more */
    void (*pull)(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                 fd_ask *ask, void *of, fd_real *dx, fd_arena scratch);
} fd_model;

/* fd_oracle_gauss -- the exact D for data N(mean, c0), c0 with the modes of p->noise (FD_ESHAPE
 * otherwise): D = (c m x + v lam mean)/(m^2 c + v lam). mean [ch][points] or NULL for 0. In a mode
 * whose variance m^2 c + v lam is so small beside the largest one that x holds its rounding there,
 * D is the mean, unless x would be made smaller. */
fd_model fd_oracle_gauss(fd_arena *a, const fd_process *p, const fd_real *mean, const fd_cov *c0);
/* fd_oracle_mix -- data from sum_i w_i N(mean_i, c_i): means [n][ch][points]. */
fd_model fd_oracle_mix(fd_arena *a, const fd_process *p, int n, const double *w,
                       const fd_real *means, const fd_cov *const c[]);
/* fd_oracle_kernel -- fd_oracle_gauss where c0, on the same points, has modes of its own
 * (fd_cov_kernel, another basis): D = mean + m K (m K m + v C)^-1 (x - m mean), K the matrix of c0.
 * Costs modes^3 for each time. */
fd_model fd_oracle_kernel(fd_arena *a, const fd_process *p, const fd_real *mean, const fd_cov *c0);
/* fd_oracle_data -- the empirical measure of x [n][ch][points]:
 * D = sum_i softmax_i(-|x - m x_i|^2 / 2 v lam) x_i, over modes with lam > 0: what a perfectly
 * trained network memorises. */
fd_model fd_oracle_data(fd_arena *a, const fd_process *p, int n, const fd_real *x);
/* fd_average_velocity -- what a one-step model should say [MeanFlow]: u = (x - phi(x))/(t - r),
 * phi the flow of FD_VELOCITY from t to r < t, so that x - (t - r) u is one step from t to r. Here
 * it is the exact one for data N(mean, c0), where in each mode
 *     phi(x) = m_r M + sqrt((m_r^2 c + v_r lam)/(m_t^2 c + v_t lam)) (x - m_t M);
 * b functions with times of their own. One step from the start's law has the exact law. A network
 * learns it from u = dx/dt - (t - r) du/dt along the flow, with du/dt = (dx/dt . d/dx + d/dt) u of
 * its own, held fixed, and for dx/dt that of a pair, m' x0 + s' eps. FD_EARG unless
 * 0 <= r < t <= tmax. */
void fd_average_velocity(const fd_process *p, const fd_real *mean, const fd_cov *c0, int b,
                         const double *t, const double *r, const fd_real *x, fd_real *u,
                         fd_arena scratch);
/* fd_predict -- y = the prediction of kind `want`, whatever the model itself predicts; y must not
 * be x. */
void fd_predict(const fd_model *m, int want, const fd_process *p, int b, const fd_real *x,
                const double *t, fd_real *y, fd_arena scratch);
/* fd_convert -- y from kind `from` to kind `to` in place. FD_EARG where the map does not exist at t
 * (a noise prediction where m = 0, anything where v = 0). */
void fd_convert(const fd_process *p, int from, int to, int b, const fd_real *x, const double *t,
                fd_real *y, fd_arena scratch);

/* fd_precond -- a network on top of the exact Gaussian model: with G the denoiser of N(mean, c0),
 *
 *     D(x, t) = G(x, t) + cout(t) F(cin(t) (G(x, t) - mean), t)
 *
 * cout^2 is the mean pixel variance of x0 given X_t, cin^-2 that of G, both under N(mean, c0), so
 * that F sees and says numbers of size one. G is x with each mode scaled: F loses nothing by it,
 * the noise of modes that data do not have never reaches F, and on a finer grid F sees the same
 * function. Where c0 is a multiple of C and mean = 0 this is the preconditioning of [EDM]. */
typedef struct fd_precond fd_precond;
fd_precond *fd_precond_new(fd_arena *a, const fd_process *p, const fd_real *mean, const fd_cov *c0);
void        fd_precond_scale(const fd_precond *w, double t, double *cin, double *cout);
/* fd_precond_pair -- in = cin (G - mean) and y = (x0 - G)/cout: what F sees and should say
 * [EDM eq. 8]. FD_EARG where cout = 0: x0 is known. */
void        fd_precond_pair(const fd_precond *w, int b, const fd_real *x0, const fd_real *xt,
                            const double *t, fd_real *in, fd_real *y, fd_arena scratch);
/* fd_precond_model -- the model D made of a raw model F [EDM eq. 7] (its `predicts` is ignored). */
fd_model    fd_precond_model(fd_arena *a, const fd_precond *w, fd_model raw);

/* ---- 10. Training pairs -------------------------------------------------------------------------
 *
 * A network learns from pairs of a noised function and what it should say of it, at times drawn
 * from some law. The squared error may be taken in any of five norms:
 *
 *     fd_draw_times(&p, FD_T_UNIFORM, NULL, r, first, b, t, &st);
 *     fd_perturb(&p, r, first, b, x0, t, xt, eps, a);
 *     fd_target(&p, FD_NOISE, b, x0, eps, t, y, a);        regress the network of (xt, t) on y */

/* fd_perturb -- xt = m x0 + s eps with eps ~ N(0, C) [DDPM alg. 1; Thesis eqs. 4.29, 4.30]: of
 * function i from draw first + i of r. eps may be NULL. All are [b][ch][points]; t [b]. */
void   fd_perturb(const fd_process *p, fd_rng r, int first, int b, const fd_real *x0,
                  const double *t, fd_real *xt, fd_real *eps, fd_arena scratch);
/* fd_target -- what a network of this kind should say, given the truth: x0, eps, -eps/s,
 * m eps - s x0, or -(m' x0 + s' eps) [SDE eq. 7; Thesis eqs. 3.16-3.18]. y may be x0 or eps. */
void   fd_target(const fd_process *p, int predicts, int b, const fd_real *x0, const fd_real *eps,
                 const double *t, fd_real *y, fd_arena scratch);
/* fd_time_weight -- a weight at t of the squared error of a prediction of this kind, so that it
 * becomes the error of another one:
 *   FD_W_ONE         itself
 *   FD_W_X0          of x0; of scores this is the loss of [DDO code, train.py]
 *   FD_W_NOISE       of the noise [v eq. 9]; of scores it is that of [ML code, sde.py]
 *   FD_W_V           of v [v sec. 4]
 *   FD_W_LIKELIHOOD  q m^2/2v^2 on x0: of the path space, the ELBO's [Song et al. 2021; FDP]
 * For scalar processes and the first five kinds of predictions; for others see fd_loss_weigh. */
enum { FD_W_ONE, FD_W_X0, FD_W_NOISE, FD_W_V, FD_W_LIKELIHOOD };
double fd_time_weight(const fd_process *p, int rule, int predicts, double t, fd_status *st);
/* fd_draw_times -- b times in [tmin, tmax], time i from element first + i of r:
 *   FD_T_UNIFORM     uniform
 *   FD_T_LOG         log-uniform [Thesis sec. 5.3.2]
 *   FD_T_STRATIFIED  tmin + (tmax-tmin) ((i + U)/b mod 1), low discrepancy, one U per call
 *   FD_T_LOGNORMAL   log sigma ~ N(prm0, prm1^2), clipped to the range [EDM table 1];
 *                    prm NULL: -1.2, 1.2
 *   FD_T_LEVELS      of chains and ladders, 1..T without replacement (b > T: T at a time), one
 *                    permutation per call [DDO code, train.py]
 * On chains and ladders t is a level from the lowest, l, to T. l is the first whole number above
 * tmin on a chain, from tmin on for a ladder. FD_T_LOG has the odds log(1 + 1/t): the whole part of
 * a number that is log-uniform on [l, T + 1). FD_EARG where there is no such law: tmin = 0 for
 * FD_T_LOG, NaN in prm. */
enum { FD_T_UNIFORM, FD_T_LOG, FD_T_STRATIFIED, FD_T_LOGNORMAL, FD_T_LEVELS };
void   fd_draw_times(const fd_process *p, int rule, const double prm[2], fd_rng r, int first, int b,
                     double *t, fd_status *st);
/* fd_loss_weigh -- x_k <- sqrt(w_k(t)) x_k for b residuals (prediction - target) of the given kind,
 * each at its own time, so that |x|^2 is the loss in that norm. Done twice it gives W x, half the
 * gradient of the loss.
 *   FD_NORM_H           1
 *   FD_NORM_CM          1/lam, Cameron-Martin [KER]
 *   FD_NORM_STATIONARY  2a/(q lam), of the stationary law; b/r of [FDP code, losses/mse_loss.py]
 *   FD_NORM_SOBOLEV     (1 + mu)^prm
 *   FD_NORM_LIKELIHOOD  q m^2/(2 v^2 lam) on D: the KL divergence of path laws, the ELBO's
 *                       [Song et al. 2021 code, losses.py; Thesis eqs. 3.60-3.62, corrected]. [FDP]
 *                       trains by b/r, which leaves out 2 beta b m^2/(1 - m^2)^2
 *   FD_NORM_STEP        (m'^2/v' - m^2/v)/(2 lam) on D, where ' means at t - 1: the KL divergence
 *                       of step t of a chain [Thesis eqs. 3.22-3.24, corrected]. On the noise it is
 *                       beta^2/(2 beta~ (1 - beta)(1 - gamma)), which [KER] leaves out. At t = 1 it
 *                       is 1/(2 v lam)
 * Kinds C^-p s count as s. Modes that carry no noise get 0, but for H and Sobolev. */
enum { FD_NORM_H, FD_NORM_CM, FD_NORM_STATIONARY, FD_NORM_SOBOLEV, FD_NORM_LIKELIHOOD,
       FD_NORM_STEP };
void   fd_loss_weigh(const fd_process *p, int norm, double prm, int predicts, int b,
                     const double *t, fd_real *x, fd_arena scratch);
/* fd_loss_norm -- the same weights at one time as an operator: <x, W x>; fd_cov_apply with 1/2 is
 * fd_loss_weigh on the tape. Nyquist modes get 0. */
fd_cov *fd_loss_norm(fd_arena *a, const fd_process *p, int norm, double prm, int predicts,
                     double t);
/* fd_time_law -- the law of t with the least variance of the loss of one pair, with the density ~
 * sqrt(E loss^2), for a model that has learned data N(0, c0): its residual is Gaussian with the
 * variances w_k F_k of the loss floor, so E loss^2 = (sum w F)^2 + 2 sum (w F)^2. A table of cells,
 * of one density in each. What it saves is a matter of the norm: on the driftless process, t from
 * .01 to 100, nothing in H, a factor of hundreds in the likelihood norm, whose weight is 1/t^2
 * (examples/study/times.md; fd train --time-law least says how much).
 * fd_time_draw -- b times, time i from element first + i of r, and the weights (uniform
 * density)/density that leave the mean loss what it is under the uniform law. */
typedef struct { int n, whole; double *t, *cdf; } fd_time_law;               /* [n+1] each */
fd_time_law *fd_time_law_new(fd_arena *a, const fd_process *p, const fd_cov *c0, int norm,
                             double prm, int predicts);
void   fd_time_draw(const fd_time_law *law, fd_rng r, int first, int b, double *t, double *w);

/* ---- 11. Sampling -------------------------------------------------------------------------------
 *
 * A sampler is a struct of choices, and fd_begin makes a run of it whose loop is yours: between two
 * steps run->x may be looked at or changed. One step goes from t to s = next < t, h = t - s. Every
 * one-stage scheme is a row
 *
 *     x' = ax x + aD D(x, t) + sd xi,      xi ~ N(0, C)
 *
 * with k = m_t/m_s, v(t|s) = v_t - k^2 v_s, all in units of lam. */

enum {
    FD_EULER_MARUYAMA,      /* reverse SDE [SDE eq. 6; Survey eqs. 2.4, 2.5]
                               [Thesis eqs. 3.25-3.28, 3.55, 3.56, corrected]; for fd_driftless
                               [Thesis alg. 3, corrected] on t = k T/N, k = N..1, with `denoise` */
    FD_PF_EULER,            /* probability-flow ODE [SDE eq. 13; Survey eqs. 2.11-2.13] */
    FD_ETA_EULER,           /* between (eta = 0) the ODE and (eta = 1) the SDE */
    FD_EXPONENTIAL,         /* linear part exact, score frozen [Thesis eq. 2.44] */
    FD_SEMI_ANALYTIC,       /* Euler for q S, then linear part and noise exact, which the last half
                               of [FDP code, predictors/semianalytic_predictor.py] drops */
    FD_ANCESTRAL,           /* posterior variance: exact for frozen D [DDPM eqs. 6, 7; alg. 2]
                               [Thesis eqs. 3.10, 3.14, 3.15, corrected] */
    FD_ANCESTRAL_LARGE,     /* variance v(t|s) [DDPM sec. 3.2] */
    FD_ANCESTRAL_OPTIMAL,   /* plus the model's Var(x0|x): needs fd_model.var */
    FD_DDIM,                /* eta 0: PF-ODE with D frozen; eta 1: ancestral [DDIM eqs. 12, 16] */
    FD_VE_PREDICTOR,        /* [SDE alg. 2] */
    FD_VP_PREDICTOR,        /* [SDE alg. 3], beta_k = 2 a h */
    FD_ONE_STAGE,           /* ---- from here on: more than one evaluation a step */
    FD_PF_HEUN = FD_ONE_STAGE,  /* [EDM alg. 1] */
    FD_PF_MIDPOINT,         /* order 2 */
    FD_PF_RK4,              /* order 4 */
    FD_STOCHASTIC_HEUN,     /* weak order 2, strong 1. Where v(s) = 0 the step of Heun's schemes is
                               Euler's, that of FD_PF_RK4 the midpoint's */
    FD_PF_MULTISTEP,        /* DDIM with D extrapolated from the last two steps in log m/s: order 2,
                               one evaluation a step [DPM-Solver++ alg. 2]; first step: DDIM */
    FD_PF_ADAPTIVE,         /* Dormand-Prince 5(4) within the step, FFM's; needs v(s) > 0, and rtol
                               and atol below */
    FD_ANNEALED,            /* no predictor: the corrector at all times t[0..steps] [DDO alg. 1]
                               [Survey eqs. 3.1-3.3] */
    FD_SCHEMES
};
/* fd_scheme_name -- "euler-maruyama", "pf-heun", ...; NULL past the last. */
const char *fd_scheme_name(int scheme);

/* sd^2 + gain^2 Var(x0|x)/lam is the variance; gain is 0 but for FD_ANCESTRAL_OPTIMAL */
typedef struct { double ax, aD, sd, gain; } fd_row;
/* fd_step_row -- the row of a one-stage scheme for mode k [DDPO eq. 2]. FD_EARG where it does not
 * exist (a scheme that divides by m where m = 0). */
fd_row fd_step_row(const fd_process *p, int scheme, double eta, double t, double s, ptrdiff_t k,
                   fd_status *st);

typedef struct {
    const fd_process *p;
    fd_model model;
    const double *t;         /* [steps+1], descending */
    int steps, scheme;
    double eta;              /* FD_ETA_EULER, FD_DDIM */
    int denoise;             /* 1: after the last step x = D(x, t_end) */
    int start;               /* FD_START_NOISE, FD_START_UNIT, FD_START_MATCHED */
    const fd_real *mean;     /* [ch][points] of data, for MATCHED; NULL: 0 */
    const fd_cov *cov;       /* on the same points; NULL: 0 */
    int corrector, inner;    /* FD_CORRECT_*; steps of it at each level, 0: 1 */
    double cprm;             /* its parameter */
    int band;                /* FD_CORRECT_SNR: the largest wavenumber of its norms; 0: 3 */
    int before;              /* 1: correct at t, before predicting, as the codes do; 0: at s, after
                                it, as [SDE alg. 1] says */
    int pooled;              /* 1: norms of FD_CORRECT_SNR.., FD_PF_ADAPTIVE over the batch, as the
                                codes do: results then depend on the other functions of the batch.
                                0: of each function */
    double churn;            /* after predicting, noise on to s + churn h, and back [FDP]: the other
                                order than in [EDM alg. 2] */
    int quiet;               /* 1: the last noise of all is left out */
    double tdenoise;         /* the time that the last D is told; 0: t_end */
    double rtol, atol;       /* FD_PF_ADAPTIVE; 0: 1e-5 */
    int *evals;              /* counts evaluations of the model; NULL */
} fd_sampler;                /* the grid is that of p->noise: for another see fd_process_on */
typedef struct {
    fd_sampler how;
    fd_rng r;
    int first, b, k;         /* functions first .. first+b-1; k steps done */
    fd_real *x;              /* [b][ch][points], the state; yours to change between steps */
    fd_real *d;              /* the last D that was evaluated */
    fd_real *prev;           /* FD_PF_MULTISTEP: the D of the last step; else NULL */
} fd_run;
enum {
    FD_START_NOISE,          /* N(0, v C) */
    FD_START_UNIT,           /* N(0, C) [DDO] */
    FD_START_MATCHED         /* N(m mean, m^2 cov + v C) */
};
/* The corrector is Langevin dynamics preconditioned by C: x' = x + alpha/2 s + sqrt(alpha) xi, with
 * s = FD_SCORE. alpha, the length of its step:
 *   FD_CORRECT_SCALED  alpha = cprm v: the same on every level; stable for
 *                      alpha lam < 4 (m^2 c + v lam). With cprm = eps/v(t_end) it is NCSN's
 *                      [Thesis alg. 1]; [FFM code, diffusion.py] has -e for s: without 1/sqrt v
 *                      variances are up to 12 times too large
 *   FD_CORRECT_LADDER  alpha = cprm (v/v(t_end))^2: DDO's. It is NCSN's rule for standard
 *                      deviations, applied to variances: the chain freezes early even with the
 *                      exact score
 *   FD_CORRECT_SNR     alpha = 4 cprm^2 v (|xi|^2 + T)/(|e|^2 + T), with e = -sqrt(v) s the
 *                      predicted noise and |.|^2 the sum over the modes that carry noise and whose
 *                      wavenumber (fd_wave) is at most `band`. T is the trace of C on them, and
 *                      what |xi|^2 is where xi is NULL: the modes beyond count as noise alone, and
 *                      as much of it. alpha is the same on every grid that holds the band
 *                      (FD_ESHAPE on others; of a dense basis all modes count), and in the mean at
 *                      most 8 cprm^2 v, stable on every mode for cprm < .7. Differs from
 *                      [SDE algs. 4, 5; FDP]: see the next rule
 *   FD_CORRECT_SNR_GRID  alpha = 4 (cprm |xi|/|s|)^2, L2 norms over all modes of the grid, as
 *                      released [SDE; FDP]; |xi|^2 = Tr C where xi is NULL. It is not one law on
 *                      every grid: a finer one has more noise in its norms. Where noise prevails
 *                      alpha is 4 cprm^2 v, as above. [SDE alg. 5], for VP, has another factor
 *                      1 - beta_k */
enum { FD_CORRECT_NONE, FD_CORRECT_SCALED, FD_CORRECT_LADDER, FD_CORRECT_SNR, FD_CORRECT_SNR_GRID };

/* fd_begin -- a run that starts as how->start says, at t[0]; function i is of stream
 * (r, first + i). */
fd_run *fd_begin(fd_arena *a, const fd_sampler *how, fd_rng r, int first, int b);
/* fd_step -- one step [DDPM eq. 1; Thesis eqs. 3.6-3.9]; 1 while there is more to do. A step that
 * gives NaN or infinity records FD_ENAN and leaves x as it was. The noise of step k is draw
 * `first + i` of fd_stream(r, 's', k + 1), so it does not depend on the batch. */
int     fd_step(fd_run *run, fd_arena scratch);
/* fd_advance -- the step itself, with the noise given: x from t to s. xi [b][ch][points] ~ N(0, C),
 * or NULL for none. It is what fd_step calls; probe it, couple it, or feed it noise from
 * elsewhere. */
void    fd_advance(const fd_sampler *how, double t, double s, int b, fd_real *x, const fd_real *xi,
                   fd_real *d, fd_arena scratch);
/* fd_correct -- one step of the corrector at t, with the noise given or NULL. */
void    fd_correct(const fd_sampler *how, double t, int b, fd_real *x, const fd_real *xi,
                   fd_real *d, fd_arena scratch);
/* fd_sample -- begin, all steps, result to x [b][ch][points] [Thesis eq. 3.57, corrected]. */
void    fd_sample(const fd_sampler *how, fd_rng r, int first, int b, fd_real *x, fd_arena scratch);
/* fd_exact_law -- the exact law of what a sampler makes, without sampling, where the model is
 * affine in each mode by itself, as fd_oracle_gauss is. mean and var [ch][modes], of the
 * coefficients, are given as they are at t[0] and returned as they are after the last step; mean
 * NULL: 0 at t[0], not returned. Each move of fd_step is made on four functions from which its
 * affine map is read off, so that the answer is that of the code that samples: all schemes and
 * correctors, churn, denoise, quiet. Costs all steps on a batch of four. FD_EARG for any other
 * model, and for FD_CORRECT_SNR and FD_CORRECT_SNR_GRID, whose step depends on the function. That
 * of FD_PF_ADAPTIVE does, too: it is taken for the mean with a deviation more or less in each mode.
 * After a failure mean and var are as they were.
 * fd_start_law -- the law that fd_begin draws from. With FD_START_MATCHED it is the law of X_t,
 * t = t[0], for data N(how->mean, how->cov). FD_ESHAPE where how->cov has other modes than the
 * noise. */
void    fd_exact_law(const fd_sampler *how, double *mean, double *var, fd_arena scratch);
void    fd_start_law(const fd_sampler *how, double *mean, double *var, fd_arena scratch);
/* fd_fdp_sampler -- [FDP code, samplers/pc_sampler.py]: the SNR corrector at t, Euler, churn,
 * Euler; n - 1 steps of (tmax - tmin)/n to t[0..n-1], and D of the state without its last noise,
 * told tmin though the state is one step above it. As released, but for the norms of the corrector,
 * which are those of FD_CORRECT_SNR: the code has those of FD_CORRECT_SNR_GRID, averaged over the
 * batch (`pooled`). Its training configurations say churn and ode where nothing reads them: they
 * are 1 and 0. FD_EARG for n < 2 or a negative number. */
fd_sampler fd_fdp_sampler(const fd_process *p, fd_model model, int n, double churn, double snr,
                          int ode, double *t, fd_status *st);

/* fd_loglik -- the log density at t[steps] of b functions x under the probability flow of
 * how->model from the law how->start at t[0]: log p_T(x_T) + int div drift dt, backwards through
 * how->t by how->scheme: FD_PF_HEUN, FD_PF_MIDPOINT, FD_PF_RK4, or FD_PF_ADAPTIVE, which holds the
 * density to rtol and atol, too. probes = 0: the exact divergence, from model.var. Otherwise it is
 * the mean over that many of Hutchinson's probes of z^T J z, from model.vjp, z = +-1 at the points,
 * one z along a path: function i uses stream (r, first + i); grids only.
 *
 * In nats, for the coefficients of modes that carry noise; the difference to fd_gauss_logp(noise)
 * is the log density relative to N(0, C), which has a limit. FD_EARG where times do not fall or
 * v = 0 at t[steps], as for fd_elbo. */
void    fd_loglik(const fd_sampler *how, int probes, fd_rng r, int first, int b, const fd_real *x,
                  double *logp, fd_arena scratch);
/* fd_elbo -- a bound on -log p(x0), exact for the exact D and start [Song et al. 2021; VDM]:
 *
 *     KL(N(m x0, v C) | start law) + E[-log p(x0 | x_end)]
 *         + int sum_k q m^2/(2 v^2 lam) E (D - x0)_k^2 dt
 *
 * The integral is taken by three Gauss points on each step of how->t. p(x0 | x_end) is normal with
 * mean D and variance model.var, or v lam/m^2 where there is none. E is over `pairs` antithetic
 * pairs of draws for each point; pairs = 0: one pair with u_k = +-sqrt(lam_k), exact for D affine
 * mode by mode. part [b][3]: the three terms, or NULL. */
void    fd_elbo(const fd_sampler *how, int pairs, fd_rng r, int first, int b, const fd_real *x0,
                double *nll, double *part, fd_arena scratch);
/* fd_gauss_logp -- log N(x; mean, C) over the modes with lam > 0; mean NULL for 0. */
double  fd_gauss_logp(const fd_cov *c, const fd_real *mean, const fd_real *x, fd_arena scratch);

/* --- Paths between two laws ----------------------------------------------------------------------
 *
 * Data are at both ends: the stochastic interpolant of [Albergo et al. eq. 2.1]
 *
 *     x_r = A(r) x0 + B(r) x1 + G(r) z,    z ~ N(0, C),    r from 0 to 1,
 *
 * has A(0) = B(1) = 1, A(1) = B(0) = G(0) = G(1) = 0; x0 and x1 are independent or paired.
 * FD_VELOCITY is u = E[A' x0 + B' x1 + G' z | x], FD_NOISE e = E[z | x], C grad log p = -e/G. The
 * flow dx = u dr takes one law to the other, either way, and so does, with c >= 0 and G at least 0,
 *
 *     dx = (u - c e) dr + sqrt(2 c G) dW^C        up,
 *     dx = (-u - c e) d(-r) + sqrt(2 c G) dW^C    down
 *
 * [Albergo et al. eqs. 2.20-2.23] (their epsilon is c G: with any other the drift has a pole at the
 * ends). For a law N(0, C) at one end see fd_path: then the score is that of a process. */

typedef struct {
    const fd_cov *noise;
    fd_schedule *A, *B, *G;          /* NULL: 1 - r, r, g sin^2(pi r) */
    const void *self;                /* theirs */
    double g;
} fd_interpolant;
/* fd_interpolant_draw -- x_r, function i with draw first + i of rng; z may be NULL. All are
 * [b][ch][points], r [b]. */
void     fd_interpolant_draw(const fd_interpolant *p, fd_rng rng, int first, int b,
                             const fd_real *x0, const fd_real *x1, const double *r, fd_real *x,
                             fd_real *z, fd_arena scratch);
/* fd_interpolant_target -- what a network of this kind, FD_VELOCITY or FD_NOISE, should say:
 * regress on it in any norm [Albergo et al. eqs. 2.10, 2.13, 2.17-2.19]. y may be an input. */
void     fd_interpolant_target(const fd_interpolant *p, int predicts, int b, const fd_real *x0,
                               const fd_real *x1, const fd_real *z, const double *r, fd_real *y,
                               fd_arena scratch);
/* fd_oracle_interpolant -- the exact model for independent ends N(mean0, c0), N(mean1, c1) with the
 * modes of p->noise (FD_ESHAPE otherwise) [Albergo et al. eqs. 4.3-4.5]; a mean may be NULL: 0. */
fd_model fd_oracle_interpolant(fd_arena *a, const fd_interpolant *p, int predicts,
                               const fd_real *mean0, const fd_cov *c0, const fd_real *mean1,
                               const fd_cov *c1);
/* fd_oracle_interpolant_mix -- the same for ends that are mixtures sum_i w_i N(mean_i, c_i): n
 * components, w NULL for equal weights, mean [n][ch][points] or NULL: 0, c [n], or NULL for point
 * masses: a data set. Costs the product of both n for each function. */
typedef struct { int n; const double *w; const fd_real *mean; const fd_cov *const *c; } fd_mix;
fd_model fd_oracle_interpolant_mix(fd_arena *a, const fd_interpolant *p, int predicts,
                                   const fd_mix *end0, const fd_mix *end1);
/* fd_interpolant_step -- Heun from r to `to`, above or below, with one noise for both stages:
 * order 2, weakly where c > 0. u predicts FD_VELOCITY, e FD_NOISE (NULL where c = 0); xi ~ N(0, C),
 * or NULL for none. */
void     fd_interpolant_step(const fd_interpolant *p, const fd_model *u, const fd_model *e,
                             double c, double r, double to, int b, fd_real *x, const fd_real *xi,
                             fd_arena scratch);

/* fd_sde_step -- one step from t to t + h of n equations dX = f(X, t) dt + g(X, t) dW, each with
 * its own dW:
 *   FD_SDE_EULER     X + f h + g dW, strong order 1/2  [Thesis eqs. 3.34-3.36, corrected]
 *   FD_SDE_MILSTEIN  ... + g g' (dW^2 - h)/2, needs dg = dg/dx; strong order 1  [Thesis eq. 3.37]
 *   FD_SDE_PLATEN    ... + (g(X + f h + g sqrt h) - g)(dW^2 - h)/(2 sqrt h), without dg; strong
 *                    order 1  [Thesis eq. 3.38, corrected]
 *   FD_SDE_HEUN      for fd_system_step only
 * For g(t) all three have the same bits: diffusion models need no more than Euler-Maruyama. */
typedef struct {
    void (*f)(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y);
    void (*g)(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y);
    void (*dg)(const void *self, ptrdiff_t n, const fd_real *x, double t, fd_real *y);
    const void *self;
} fd_sde;
enum { FD_SDE_EULER, FD_SDE_MILSTEIN, FD_SDE_PLATEN, FD_SDE_HEUN };
void    fd_sde_step(const fd_sde *e, int scheme, double t, double h, ptrdiff_t n, fd_real *x,
                    const fd_real *dW, fd_arena scratch);

/* ---- 12. Observations and posteriors ------------------------------------------------------------
 *
 * y = F(x) + eta, eta ~ N(0, Gamma), is m numbers about an unknown function x. Given a prior for x
 * they define a posterior. Four kinds of pieces make every method: observations and what follows
 * from them in closed form; models made of models (guidance), which any sampler takes; moves, which
 * the caller makes between calls of fd_step; and outer loops (section 13). The exact posterior of a
 * Gaussian prior, and the same by a sampler with guidance:
 *
 *     fd_obs o = fd_obs_points(&a, &s, 3, (double[]){.1, .4, .8}, NULL);
 *     fd_obs_noise(&a, &o, 0.1);
 *     fd_posterior *post = fd_posterior_new(&a, NULL, c0, &o, y);
 *     fd_posterior_draw(post, fd_seed(1), 0, 16, x, a);
 *
 *     how.model = fd_guided(&a, &(fd_guide){ &p, m, &o, y, FD_GUIDE_PIGDM, 0, 0 });
 *     fd_sample(&how, fd_seed(1), 0, 16, x, a);
 *
 * A linear F is written A. A* is its adjoint in L2 of the domain, <A* w, h> = w^T A h, so that
 * C A* w is a function whatever the grid: for a value at a point it is the covariance with that
 * point. `transpose` is what a matrix or an adjoint solver gives, g_j = sum_i w_i dF_i/dx_j with
 * x_j the values at the points; A* w = g / weight of the point. */

typedef struct {
    fd_space s;                          /* where x lives */
    int m, linear;                       /* m = 0: a failed one, which every function accepts */
    /* y [b][m] = F(x) without noise; x [b][ch][points] */
    void (*apply)(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                  fd_arena scratch);
    /* g [b][ch][points] = DF(x)^T w, w [b][m]; x is NULL where F is linear */
    void (*transpose)(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *w, fd_real *g, fd_arena scratch);
    const void *self;
    const double *mul;                   /* fd_obs_modal: factor of each mode; else NULL */
    double sd;                           /* standard deviation of each number; 0: no noise ... */
    const double *each;                  /* ... or one for each, [m]; NULL ... */
    const double *chol;                  /* ... or L of Gamma = L L^T, [m][m]; NULL */
} fd_obs;                     /* one of a user's own: fill in s, m, linear, both functions */

/* Linear observations. Channels are rows of ch [m], NULL: channel 0. FD_EARG for m < 1, a place
 * outside the domain, or a channel that does not exist, with its number. The first three are for
 * grids.
 *   fd_obs_points     values at any places at [m][nd], 0 <= at <= len: of the modal series of x,
 *                     the same functional on every grid that has the modes; Nyquist modes are left
 *                     out
 *   fd_obs_boxes      means over boxes of half widths half [m][nd] about them
 *   fd_obs_coarse     values at the points of another grid of the domain, [ch][points]: with the
 *                     aliasing that picking values has
 *   fd_obs_pick       values at points of the grid by index into [ch][points], as a mask gives them
 *   fd_obs_matrix     rows A [m][ch][points] acting on values, kept by pointer
 *   fd_obs_functions  <phi_i, x>, phi [m][ch][points], kept by pointer
 *   fd_obs_modal      the function with coefficients mul_k u_k at every point, m = ch * points, as
 *                     by heat or blur; grids only, noise of one standard deviation. Everything is
 *                     then done mode by mode */
fd_obs fd_obs_points(fd_arena *a, const fd_space *s, int m, const double *at, const int *ch);
fd_obs fd_obs_boxes(fd_arena *a, const fd_space *s, int m, const double *at, const double *half,
                    const int *ch);
fd_obs fd_obs_coarse(fd_arena *a, const fd_space *s, const fd_space *coarse);
fd_obs fd_obs_pick(fd_arena *a, const fd_space *s, int m, const ptrdiff_t *index);
fd_obs fd_obs_matrix(fd_arena *a, const fd_space *s, int m, const fd_real *A);
fd_obs fd_obs_functions(fd_arena *a, const fd_space *s, int m, const fd_real *phi);
fd_obs fd_obs_modal(fd_arena *a, const fd_space *s, const double *mul);
/* fd_obs_noise -- Gamma = sd^2. fd_obs_noise_each -- Gamma = diag(sd_i^2), copied.
 * fd_obs_noise_cov -- Gamma is a covariance [m][m], copied. FD_EDATA for what is no standard
 * deviation or not positive definite. */
void   fd_obs_noise(fd_arena *a, fd_obs *o, double sd);
void   fd_obs_noise_each(fd_arena *a, fd_obs *o, const double *sd);
void   fd_obs_noise_cov(fd_arena *a, fd_obs *o, const double *cov);
/* fd_obs_draw -- y = F(x) + eta for b functions, eta_i from stream (r, first + i): data to test
 * with. */
void   fd_obs_draw(const fd_obs *o, fd_rng r, int first, int b, const fd_real *x, double *y,
                   fd_arena scratch);
/* fd_obs_adjoint -- g = DF(x)* w, the adjoint in L2, for b functions; x NULL where F is linear. */
void   fd_obs_adjoint(const fd_obs *o, int b, const fd_real *x, const double *w, fd_real *g,
                      fd_arena scratch);
/* fd_obs_check -- is a user's transpose that of the derivative of apply? It returns
 * |<w, dF d> - <transpose(w), d>| over |dF d|, dF by differences of fourth order about x, d and w
 * of random numbers: about 1e-4 or less where it is right (1e-10 in double), about 1 where it is
 * not; more where apply itself is not exact, as a solver in float. */
double fd_obs_check(const fd_obs *o, const fd_real *x, fd_rng r, fd_arena scratch);
/* fd_obs_misfit -- Phi(x) = 1/2 |Gamma^-1/2 (y - F(x))|^2 of one function, without noise with
 * Gamma = 1; g [ch][points], where not NULL, its gradient in L2. */
double fd_obs_misfit(const fd_obs *o, const double *y, const fd_real *x, fd_real *g,
                     fd_arena scratch);

/* fd_gain -- the algebra that all linear methods share: with Gamma = L L^T (L = 1 without noise)
 * and L^-1 A C A* L^-T = V^T diag(w) V once, (rho A C A* + kappa Gamma)^-1 costs 2 m^2 for any rho,
 * kappa. x: where a nonlinear F is linearised, NULL otherwise. Costs m applications of C and m^3.
 * FD_EDATA where there is no noise and an observation follows from the others, FD_ESHAPE where C
 * has other points. */
typedef struct {
    const fd_obs *o;
    const fd_cov *c;
    const fd_real *x;
    double *w, *V;             /* [m], and rows of [m][m]; of fd_obs_modal [modes], NULL */
} fd_gain;
fd_gain *fd_gain_new(fd_arena *a, const fd_obs *o, const fd_cov *c, const fd_real *x);
/* fd_gain_solve -- z = (rho A C A* + kappa Gamma)^-1 r for b vectors [m]; z may be r. kappa is not
 * looked at where there is no noise. */
void     fd_gain_solve(const fd_gain *g, double rho, double kappa, int b, const double *r,
                       double *z, fd_arena scratch);
/* fd_gain_add -- x += scale C A* z for b functions. */
void     fd_gain_add(const fd_gain *g, double scale, int b, const double *z, fd_real *x,
                     fd_arena scratch);
/* fd_gain_condition -- x += rho C A* (rho A C A* + Gamma)^-1 (y - A x - eta) for b functions, y and
 * eta [b][m], eta NULL: 0. With x ~ N(mean, rho C) and eta ~ N(0, Gamma) the result is a draw of
 * the posterior of that prior. */
void     fd_gain_condition(const fd_gain *g, double rho, int b, const double *y, const double *eta,
                           fd_real *x, fd_arena scratch);
/* fd_gain_logdet -- log det(rho A C A* + kappa Gamma). */
double   fd_gain_logdet(const fd_gain *g, double rho, double kappa, fd_arena scratch);

/* fd_posterior -- the exact posterior for the prior N(mean, C0) and a linear F (kriging): with
 * S = A C0 A* + Gamma,
 *
 *     mean_y = mean + C0 A* S^-1 (y - A mean),     C_y = C0 - C0 A* S^-1 A C0,
 *     evidence = log p(y) = -1/2 (y - A mean)^T S^-1 (y - A mean) - 1/2 log det S - m/2 log 2 pi
 *
 * mean NULL: 0. All is kept by pointer. */
typedef struct {
    const fd_cov *c0;
    fd_gain *gain;
    const double *y;
    const fd_real *prior;                /* mean before, or NULL */
    fd_real *mean;                       /* after, [ch][points] */
    double evidence;
} fd_posterior;
fd_posterior *fd_posterior_new(fd_arena *a, const fd_real *mean, const fd_cov *c0, const fd_obs *o,
                               const double *y);
/* fd_posterior_draw -- Matheron's rule: x + C0 A* S^-1 (y - A x - eta), x a draw of the prior: one
 * draw and one solution each, exact. Function i from stream (r, first + i). */
void fd_posterior_draw(const fd_posterior *p, fd_rng r, int first, int b, fd_real *x,
                       fd_arena scratch);
/* fd_posterior_std -- pointwise standard deviation, [ch][points]. */
void fd_posterior_std(const fd_posterior *p, fd_real *sd, fd_arena scratch);

/* fd_oracle_posterior -- the exact conditional denoiser E[x0 | x_t, y] for data from sum_j w_j
 * N(mean_j, c_j) with the modes of p->noise (as fd_oracle_mix; n = 1: one Gaussian) and a linear F:
 *
 *     D_j = E[x0|x_t, j],  C_j = Cov(x0|x_t, j) = c v lam/(m^2 c + v lam),  S_j = A C_j A* + Gamma,
 *     D = sum_j W_j (D_j + C_j A* S_j^-1 (y - A D_j)),   W_j ~ w_j p(x_t|j) N(y; A D_j, S_j)
 *
 * Every process and sampler then draws from the posterior. S_j is factored for each time, n m^3,
 * but once where n = 1 and c is a multiple of C. Predicts FD_X0; no vjp; var where n = 1, so that
 * fd_loglik has the density given y. For other models and modes see FD_GUIDE_EXACT, which is the
 * same for a Gaussian. */
fd_model fd_oracle_posterior(fd_arena *a, const fd_process *p, int n, const double *w,
                             const fd_real *means, const fd_cov *const c[], const fd_obs *o,
                             const double *y);

/* fd_score_power -- E|C grad log p(x_t|y)|^2 for data N(mean, c0) with the modes of p->noise, a
 * linear F, and y of any value, whatever the mean; o NULL: that of the unconditional score:
 *
 *     tr(C S^-1 C),   S = m^2 C_y + v C,   C_y = c0 - c0 A* (A c0 A* + Gamma)^-1 A c0
 *
 * the singularity of [CDE]. As v -> 0 it tends to tr(C c0^-1 C) + tr(C A* Gamma^-1 A C): noisy
 * observations add something finite, without noise it grows as (1/v) tr(C A* (A C A*)^-1 A C) where
 * c0 = C. FD_EARG where v = 0. */
double fd_score_power(const fd_process *p, const fd_cov *c0, const fd_obs *o, double t,
                      fd_arena scratch);

/* fd_guided -- the conditional denoiser made of an unconditional model with vjp, J = dD/dx:
 *
 *     D_y = D + (v/m) g,    g = C J* A* Q^-1 (y - F(D)),    A = DF(D)
 *
 *   FD_GUIDE_EXACT   Q = Gamma + A Cov(x0|x_t) A*, Cov = (v/m) J C (Tweedie): exact for Gaussian
 *                    data and a linear F; m products with J* for each function
 *   FD_GUIDE_PIGDM   Q = Gamma + zeta A v C A*                          [Pi-GDM]; zeta 0: 1
 *   FD_GUIDE_DPS     Q^-1 = zeta Gamma^-1, without noise zeta           [DPS alg. 1]; zeta 0: 1
 *
 * m and v are those of each mode; Pi-GDM then factors Q anew for each time, m^3. plain = 1 leaves
 * out the C in front, as FunDPS and DiffusionPDE do; then the effect depends on the grid. Where
 * m < 1e-4 the model is asked at the time at which m = 1e-4; of a modal process the modes alone
 * with such an m take the model's var for Cov, or stay those of D where it has none. FD_EARG for a
 * model without vjp. The observation must be of the process's points; F may be nonlinear (for EXACT
 * and PIGDM it is linearised at D, for each function). */
enum { FD_GUIDE_EXACT = 1, FD_GUIDE_PIGDM, FD_GUIDE_DPS };
typedef struct {
    const fd_process *p;
    fd_model model;
    const fd_obs *o;
    const double *y;
    int rule;
    double zeta;
    int plain;
} fd_guide;
fd_model fd_guided(fd_arena *a, const fd_guide *how);

/* Moves: what the caller does to run->x between calls of fd_step, for b functions, with y [b][m]
 * and g of the noise C of the process. Noisy observations are made noise-free by a larger state
 * (x, e): e [b][m] stands for the noise in y, data and noise of it have the law N(0, Gamma), and
 * A x + e = y is observed. e is NULL where there is no noise.
 *
 * fd_project -- the nearest state with A x + e = y in the Cameron-Martin norm [Pidstrigach]:
 *     z = (A C A* + Gamma)^-1 (y - A x - e),    x += C A* z,    e += Gamma z */
void fd_project(const fd_gain *g, int b, const double *y, fd_real *x, double *e, fd_arena scratch);
/* fd_project_flat -- x += A* (A A*)^-1 (y - A x), the nearest in L2: a baseline that fails, since
 * at a point it changes a set of measure 0. "Replacement" of known points by noised data is the
 * same. */
void fd_project_flat(const fd_obs *o, int b, const double *y, fd_real *x, fd_arena scratch);
/* fd_project_denoised -- x += m (D' - D), e likewise, where D', De' are D, De projected on
 * A D + De = y, and m is at t, where x is. It turns a step to m D + s eps into one with the
 * projected D and the same eps. For deterministic schemes and scalar processes: it keeps the noise
 * that the model sees, so that the state is not the path's. That does not move D' if m is one
 * number; where it is another for each mode the mean goes astray, by a third of itself for fd_heat
 * with data of its own covariance. */
void fd_project_denoised(const fd_gain *g, const fd_process *p, double t, int b, const double *y,
                         const fd_real *d, const double *de, fd_real *x, double *e,
                         fd_arena scratch);
/* fd_path_move -- what is observed of the noised state, path [b][m], from its value at `from` to
 * that at t < from:
 *   FD_PATH_BRIDGE  one path of the process that ends in y at t = 0; from = INFINITY begins it
 *   FD_PATH_FRESH   m y + s (A C A* + Gamma)^1/2 z
 *   FD_PATH_MEAN    m y
 * z [b][m] ~ N(0, 1), not looked at by the last. Scalar processes only: where m is another for each
 * mode, A m x0 does not follow from A x0 = y. */
enum { FD_PATH_BRIDGE = 1, FD_PATH_FRESH, FD_PATH_MEAN };
void fd_path_move(const fd_gain *g, const fd_process *p, int rule, double from, double t, int b,
                  const double *y, const double *z, double *path, fd_arena scratch);
/* fd_noise_step -- e from t to s < t by the row of how->scheme with its exact D, written to de
 * [b][m] where not NULL, and its exact variance for FD_ANCESTRAL_OPTIMAL; z [b][m] ~ N(0, 1) or
 * NULL. One-stage schemes and scalar processes only; e starts as sqrt(v) L z. */
void fd_noise_step(const fd_sampler *how, const fd_obs *o, double t, double s, int b, double *e,
                   double *de, const double *z, fd_arena scratch);

/* fd_free_guided -- D = D_u + scale (D_c - D_u): classifier-free guidance [CFG]. */
fd_model fd_free_guided(fd_arena *a, const fd_process *p, fd_model conditional,
                        fd_model unconditional, double scale);
/* fd_ucos -- exact conditional sampling for a linear F with a denoiser for correlated noise [UCoS]:
 * with r = v/m^2 and Q = r A C A* + Gamma,
 *
 *     E[x0|x_t, y] = D(x_t/m + r C A* Q^-1 (y - A x_t/m); Sigma_t),
 *     Sigma_t = r C - r^2 C A* Q^-1 A C
 *
 * raw.eval(z, t) = D(z; Sigma_t), the mean of x0 given z = x0 + N(0, Sigma_t): train it on pairs of
 * x0 and x0 plus fd_ucos_noise, function i with draw first + i; no y is needed. For processes of
 * one m > 0 and v for all modes. */
fd_model fd_ucos(fd_arena *a, const fd_gain *g, const fd_process *p, const double *y, fd_model raw);
void     fd_ucos_noise(const fd_gain *g, const fd_process *p, fd_rng r, int first, int b,
                       const double *t, fd_real *n, fd_arena scratch);

/* fd_amortised -- one network F for all observations: it is given channels z made of y, and learns
 *
 *     D(x, t; y) = B(x, t, y) + cout(t) F([cin(t) (G(x, t) - mean), z], t)
 *
 * from pairs of functions and observations of them [CDE; Survey eq. 5.3], where G and cin are those
 * of fd_precond. The base B and cout:
 *   FD_BASE_NONE   there is none, and no G: F([x, z], t) is itself the prediction of kind
 *                  `predicts`, as published
 *   FD_BASE_MODEL  a model that knows nothing of y; cout as of fd_precond. With fd_oracle_gauss
 *                  this is fd_precond with channels; with a trained one, which stays as it is, and
 *                  FD_SEES_SLOPE beside others it is [SGT code, 1DExample/train_htransform.py]
 *   FD_BASE_GAUSS  E[x0|x_t, y] for N(mean, c0), of fd_oracle_posterior; cout^2 = mean pixel
 *                  variance of x0 given x_t and y. F = 0 is the best for Gaussian data, and
 *                  |F - target|^2 then has the mean 1 a pixel at every t
 *
 * `sees` is a sum of these; F gets their channels in this order, 1 or 2 for each of the function's:
 *   FD_SEES_VALUES     2: (y - mean)/sd0 in the pixels of fd_obs_pick, and 1 there; 0 elsewhere.
 *                      It is fit for masks of a part of all pixels: a few pixels are a set of
 *                      measure 0, and their image has no limit on finer grids
 *   FD_SEES_POSTERIOR  2: (E[x0|y] - mean)/sd0, and the deviation of x0 given y over sd0, for
 *                      N(mean, c0) and a linear F: the same functions on every grid
 *   FD_SEES_DENOISED   1: (E[x0|x_t, y] - mean)/sd0, likewise
 *   FD_SEES_SLOPE      1: C grad of |y - F(D)|^2/m, D = B of FD_BASE_MODEL, else G; also for
 *                      nonlinear observations. Differs from [SGT]: of one function, not of a batch
 *
 * sd0^2 is the mean pixel variance of N(mean, c0), 1 without c0. c0 has the modes of p->noise, but
 * for FD_BASE_NONE with the first two. */
enum { FD_BASE_NONE = 1, FD_BASE_MODEL, FD_BASE_GAUSS };
enum { FD_SEES_VALUES = 1, FD_SEES_POSTERIOR = 2, FD_SEES_DENOISED = 4, FD_SEES_SLOPE = 8 };
typedef struct {
    const fd_process *p;
    int base, predicts, sees;            /* FD_BASE_..; FD_X0..; a sum of FD_SEES_.. */
    fd_model model;                      /* FD_BASE_MODEL */
    const fd_real *mean;                 /* [ch][points]; NULL: 0 */
    const fd_cov *c0;
} fd_condition;
typedef struct fd_amortised fd_amortised;
/* fd_amortised_inputs -- channels of F's input. */
int           fd_amortised_inputs(const fd_condition *how);
/* fd_amortised_new -- all that does not depend on the numbers y, for one observation, kept by
 * pointer. NULL: nothing is observed, which F sees as channels of 0; trained on some such pairs it
 * is the unconditional model, too (fd_free_guided). */
fd_amortised *fd_amortised_new(fd_arena *a, const fd_condition *how, const fd_obs *o);
/* fd_amortised_scale -- cin and cout. With FD_BASE_GAUSS cout^2 is the floor of E|D - x0|^2 a pixel
 * for Gaussian data. */
void          fd_amortised_scale(const fd_amortised *w, double t, double *cin, double *cout,
                                 fd_arena scratch);
/* fd_amortised_pair -- what F sees, in [b][inputs][points], and should say, target
 * [b][ch][points], for b functions x0 with y [b][m], xt and eps of fd_perturb; eps may be NULL but
 * for FD_BASE_NONE with another kind than FD_X0. D - x0 = cout (F - target), cout [b] or NULL; it
 * is 1 without a base. FD_EARG where it is 0: x0 is known. */
void          fd_amortised_pair(const fd_amortised *w, int b, const double *y, const fd_real *x0,
                                const fd_real *eps, const fd_real *xt, const double *t,
                                fd_real *in, fd_real *target, double *cout, fd_arena scratch);
/* fd_amortised_model -- the model D for one y, kept by pointer. raw.eval gets a space with as many
 * channels as F has inputs, and answers with those of the function (fd_net_raw). It predicts FD_X0,
 * without a base `predicts`; no vjp. */
fd_model      fd_amortised_model(fd_arena *a, const fd_amortised *w, const double *y, fd_model raw);

/* fd_time_at -- the time in [tmin, tmax] at which sqrt(v)/m = sigma (of the mode mu = 0), or the
 * nearer end. */
double   fd_time_at(const fd_process *p, double sigma);
/* fd_split_gibbs -- one sweep over b functions x for the joint law p(x) N(z; x, rho^2 C)
 * exp(-Phi(z)) of a linear F:
 *     z | x  Matheron's rule with the prior N(x, rho^2 C)
 *     x | z  the sampler, started in m z at t[0] = fd_time_at(rho)
 * x then has the posterior for the noise Gamma + rho^2 A C A*: no derivative of the model is
 * needed. Anneal rho from 1 down, with another r in each sweep. A sweep costs a whole reverse
 * diffusion, and mixes slowly where C is smoother than the prior. */
void     fd_split_gibbs(const fd_sampler *how, const fd_gain *g, const double *y, double rho,
                        fd_rng r, int first, int b, fd_real *x, fd_arena scratch);
/* fd_esmda -- one step of [ES-MDA] on an ensemble of b functions x, F linear or not: with
 * covariances of the ensemble,
 *     x_j += C_xd (C_dd + alpha Gamma)^-1 (y + sqrt(alpha) eta_j - F(x_j))
 * Steps whose 1/alpha sum to 1, each with another r, draw from the posterior of a Gaussian prior
 * and a linear F as b grows. FD_EARG where there is no noise. */
void     fd_esmda(const fd_obs *o, const double *y, double alpha, fd_rng r, int b, fd_real *x,
                  fd_arena scratch);
/* fd_particles -- twisted particles: n states through the steps of a one-stage scheme, weighted
 * with
 *     G_k(x) = N(y; A D(x, t_k), Gamma + v_k A C A*),  at the end N(y; A x, Gamma),
 * and resampled (systematically) when fewer than n/2 count. guide->rule 0: they move as without y;
 * else by its guidance, whose weight is exact. Noise of the scheme must be above 0 for a guided
 * step. At the end the weighted states are draws of the posterior of the sampler's own law, up to
 * n, and exp(fd_particles_evidence) is an unbiased estimate of p(y). guide->model and p are those
 * of how, and plain is not looked at. FD_EARG for a modal process, FD_ANCESTRAL_OPTIMAL, a
 * corrector or churn, for observations without noise, and as fd_guided. */
typedef struct {
    fd_run *run;                         /* run->x [n][ch][points] */
    const fd_gain *gain;
    const double *y;
    const void *guide;
    int n, resampled;
    double *logw, *twist, logz;          /* [n], [n] */
    fd_real *d;                          /* D at the states */
} fd_particles;
fd_particles *fd_particles_begin(fd_arena *a, const fd_sampler *how, const fd_guide *guide,
                                 fd_rng r, int n);
int      fd_particles_step(fd_particles *p, fd_arena scratch);
double   fd_particles_ess(const fd_particles *p);
double   fd_particles_evidence(const fd_particles *p);
/* fd_particles_resample -- make all weights equal: call it at the end to have plain samples. */
void     fd_particles_resample(fd_particles *p, fd_arena scratch);

/* --- As released ---------------------------------------------------------------------------------
 *
 * What some authors' code does, under its name: biased even with an exact model, and not one law on
 * every grid. examples/study/mesh.md has their numbers. None of them is a default of anything.
 *
 * fd_released_step -- step k of how, from t = t[k] to s = t[k + 1], of b functions: Heun's in sigma
 * = sqrt(v)/m for z = x/m [EDM alg. 1], and the gradient of a loss of the last D through both
 * evaluations of the model:
 *
 *     d(z, t) = (z - D(z, t))/sigma_t,    z1 = z + (sigma_s - sigma_t) d(z, t),
 *     z' = z + (sigma_s - sigma_t) (d(z, t) + d(z1, s))/2 - w grad_z L(D(z1, s))
 *
 * The gradient is in the values at the points, without C. Where v(s) = 0 the step is Euler's, with
 * D(z, t) in both places.
 *   FD_FUNDPS        L = mean of (y - F(D))^2; w = zeta min(1, sigma_t), in the last step 0. Theirs
 *                    [FunDPS code, generation/dps.py]: 500 steps, sigma from 80 to .002 by FD_RHO
 *   FD_FUNDPS_ROOT   L = the root of that mean: theirs for inverse problems of Helmholtz and
 *                    Navier-Stokes
 *   FD_DIFFUSIONPDE  L = the root of the sum of (y - F(D))^2; w = zeta, in the last fifth of the
 *                    steps zeta/10 [DiffusionPDE eqs. 8, 9; alg. 1]. Theirs: 2000 steps, C white
 * The noise of the observation is not looked at. FD_EARG for a model without vjp and for a modal
 * process. */
enum { FD_FUNDPS = 1, FD_FUNDPS_ROOT, FD_DIFFUSIONPDE };
typedef struct {
    fd_sampler how;                      /* p, model, t, steps */
    const fd_obs *o;
    const double *y;                     /* [m] */
    int rule;
    double zeta;
} fd_released;
void     fd_released_step(const fd_released *g, int k, int b, fd_real *x, fd_arena scratch);
/* fd_eci_step -- from t to s < t: D is projected on the data and mixed with noise [ECI]:
 *     D' = D + C A* (A C A*)^-1 (y - A D),    x = m D' + sqrt(v) eps at s
 * y [b][m]; g is of an observation without noise; NULL: no data. Theirs is that of a white C,
 * projection in L2. eps [b][ch][points] may be
 *   the noise that x began as, the same at every step, as released: then even without data a law
 *     N(0, 1) comes out with a deviation of 2.94, 4.99, 8.21, 13.3 after 50, 200, 800, 3200 equal
 *     steps of fd_flow, .94 steps^1/3 in the limit;
 *   drawn anew, which tends to 1/sqrt 2;
 *   NULL for the noise in x, (x - m D)/sqrt(v) at t, which tends to 1: fd_project_denoised. */
void     fd_eci_step(const fd_process *p, const fd_model *m, const fd_gain *g, const double *y,
                     double t, double s, int b, fd_real *x, const fd_real *eps, fd_arena scratch);

/* ---- 13. Langevin dynamics and Markov chains ----------------------------------------------------
 *
 * The posterior exp(-Phi(x)) times a prior, by dynamics that need Phi and its gradient only. A
 * potential is made of an observation and y, or is the user's own. All steps are preconditioned by
 * a covariance, so that they make sense in function space and do not slow down on finer grids.
 *
 *     fd_mcmc   mc = { .prior = c0, .phi = fd_obs_potential(&a, &o, y), .kind = FD_MCMC_PCN,
 *                      .h = 0.2, .adapt = 500 };
 *     fd_chain *c  = fd_chain_begin(&a, &mc, fd_seed(1), 0, NULL);
 *     for (int k = 0; k < 5000; k++) fd_chain_step(c, a);
 *     fd_chain_get(c, x); */

typedef struct {
    /* Phi(x) of one function; g [ch][points], where not NULL, its gradient in L2:
     * dPhi(x)h = <g, h> */
    double (*value)(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                    fd_arena scratch);
    const void *self;
} fd_potential;
/* fd_obs_potential -- fd_obs_misfit. FD_EARG where there is no noise; FD_ESHAPE where the chain is
 * on other points. */
fd_potential fd_obs_potential(fd_arena *a, const fd_obs *o, const double *y);

/* fd_langevin -- one step at diffusion time t for b functions with the noise xi ~ N(0, C) of p
 * given, or NULL:
 *     x += h (w s_t(x) - C grad Phi(x)) + sqrt(2 h) xi       [Survey eq. 5.4; Baldassari et al.]
 * s_t = C grad log p_t of the model. FD_ENAN where the state overflows: h is too long. Anneal t
 * down to tmin; at t the law is that of the prior p_t, exact as t -> 0.
 * fd_langevin_implicit -- the same where the prior N(mean, C) is known: its part is done by
 * Crank-Nicolson, with xi ~ N(0, C),
 *     x = ((1 - h/2) x + h mean - h C grad Phi(x) + sqrt(2 h) xi)/(1 + h/2)
 * without bias where the data say nothing; mean NULL: 0.
 * In both phi NULL means that there are no observations. */
void fd_langevin(const fd_process *p, const fd_model *m, const fd_potential *phi, double t,
                 double h, double w, int b, fd_real *x, const fd_real *xi, fd_arena scratch);
void fd_langevin_implicit(const fd_cov *c, const fd_real *mean, const fd_potential *phi, double h,
                          int b, fd_real *x, const fd_real *xi, fd_arena scratch);

/* fd_daps_step -- one step of the dynamics of a level [DAPS code, cores/mcmc.py], of b functions x
 * with the prior N(hat, sigma^2 C):
 *     x -= h (C grad Phi(x) + (x - hat)/sigma^2) - sqrt(2 h) xi,    xi ~ N(0, C), or NULL for none
 * plain = 1 puts the gradient in the values at the points in place of C grad Phi, the noise as
 * before. So it is released: what a value at a point should move, misses by .92, .96, .98, .99 of
 * it on 16, 32, 64, 128 points.
 * fd_daps_level -- one level of b functions x at t = how.t[0] with sigma = sqrt(v)/m there: hat by
 * the sampler how, which has no noise [DAPS code, sampler.py], `inner` steps from hat, and
 * x = m x0 + sqrt(v) noise at the time `next`. The noise of step i is draw first + .. of
 * fd_stream(r, 'd', i). FD_ENAN where h is too long. Theirs: 200 levels of sigma from 10 to .01, 10
 * steps of the flow to .001, 100 of the dynamics, h from 1e-4 down to 1e-6. */
typedef struct {
    fd_sampler how;
    fd_potential phi;
    int inner;
    double h;
    int plain;
} fd_daps;
void fd_daps_step(const fd_cov *c, const fd_potential *phi, double sigma, double h, int plain,
                  int b, const fd_real *hat, fd_real *x, const fd_real *xi, fd_arena scratch);
void fd_daps_level(const fd_daps *d, double next, fd_rng r, int first, int b, fd_real *x,
                   fd_arena scratch);

/* fd_mcmc -- Markov chains with the exact invariant law exp(-Phi(x)) N(mean, C)(dx); u = x - mean:
 *   FD_MCMC_PCN    [pCN]: v = sqrt(1 - h^2) u + h xi, accepted with min(1, exp(Phi(u) - Phi(v)))
 *   FD_MCMC_MALA   inf-MALA [inf-HMC]: v = ((2 - h) u - 2 h C g(u) + sqrt(8 h) xi)/(2 + h),
 *                  0 < h <= 2, accepted with min(1, exp(r(u,v) - r(v,u))), g = grad Phi(u),
 *                  r(u,v) = Phi(u) + <v - u, g>/2 + h <u + v, g>/4 + h <g, C g>/4
 *   FD_MCMC_HMC    [inf-HMC]: `leaps` steps of length h of p -= h/2 C g, rotation of (u, p) by h,
 *                  p -= h/2 C g
 *   FD_MCMC_SLICE  elliptical slice [ESS]: no step to choose, never rejects
 *   FD_MCMC_WALK   random walk v = u + h xi, accepted by the finite-dimensional ratio: the control
 *                  that collapses as the grid is refined */
enum { FD_MCMC_PCN = 1, FD_MCMC_MALA, FD_MCMC_HMC, FD_MCMC_SLICE, FD_MCMC_WALK };
typedef struct {
    const fd_cov *prior;
    const fd_real *mean;                 /* [ch][points]; NULL: 0 */
    fd_potential phi;
    int kind;
    double h;                            /* the step */
    int leaps;                           /* FD_MCMC_HMC; 0: 1 */
    int adapt;                           /* during so many first steps log h moves by the acceptance
                                            less the target, then h stays */
    double target;                       /* 0: .3, for FD_MCMC_MALA .57, for FD_MCMC_HMC .65 */
} fd_mcmc;
/* The whole state of a chain. */
typedef struct {
    fd_mcmc how;
    fd_rng r;
    int id;                              /* which chain: its noise is draw id of streams (r, k) */
    uint32_t k;                          /* steps done */
    double h;                            /* the step now */
    long long accepted, calls;           /* steps that moved; evaluations of Phi */
    double phi, ratio;                   /* Phi(x); log of the last acceptance ratio, slice: 0 */
    fd_real *u, *g;                      /* x - mean; gradient at x where needed, [ch][points] */
} fd_chain;
/* fd_chain_begin -- a chain that starts at x; NULL: at a draw of the prior. A Phi that is not a
 * number there is FD_ENAN. */
fd_chain *fd_chain_begin(fd_arena *a, const fd_mcmc *how, fd_rng r, int id, const fd_real *x);
/* fd_chain_resume -- a chain goes on: with the same how, r and id as before and its u, k, h,
 * accepted and calls, its further steps have the same bits as if it had not been interrupted. Phi
 * and the gradient are computed again. */
fd_chain *fd_chain_resume(fd_arena *a, const fd_mcmc *how, fd_rng r, int id, const fd_real *u,
                          uint32_t k, double h, long long accepted, long long calls);
/* fd_chain_step -- one step; 1 where it moved. A Phi that is not a number rejects. */
int       fd_chain_step(fd_chain *c, fd_arena scratch);
/* fd_chain_get -- x = mean + u. */
void      fd_chain_get(const fd_chain *c, fd_real *x);
/* fd_latent_potential -- Phi(T(z)) of the start z of a sampler T without noise: with the prior
 * N(0, v C) at t[0] a chain on z draws the posterior of whatever law T draws. It has no gradient:
 * take FD_MCMC_PCN or FD_MCMC_SLICE. */
fd_potential fd_latent_potential(fd_arena *a, const fd_sampler *how, const fd_potential *phi);
/* fd_levy_sweep -- one sweep of Gibbs sampling of the exact posterior of a path x [points] of
 * independent increments, given a noisy linear F: x | w, then w | x. x_0 ~ N(0, s0^2), and
 * x_i+1 - x_i has a law that is not Gaussian:
 *   FD_LEVY_LAPLACE    Laplace with scale b
 *   FD_LEVY_STUDENT    Student with scale b and nu degrees of freedom
 *   FD_LEVY_BERNOULLI  Laplace with probability `chance`, else 0
 * w [points - 1] are the variances of the increments, 0 for those that are 0; begin with b^2.
 * sweep: its number, for the noise. */
enum { FD_LEVY_LAPLACE = 1, FD_LEVY_STUDENT, FD_LEVY_BERNOULLI };
typedef struct { int law; double s0, b, nu, chance; } fd_levy;
void fd_levy_sweep(const fd_levy *p, const fd_obs *o, const double *y, fd_rng r, uint32_t sweep,
                   double *w, fd_real *x, fd_arena scratch);
/* fd_iact -- integrated autocorrelation time 1 + 2 sum rho_t of n numbers, by Geyer's initial
 * positive sequence, made monotone. fd_rhat -- split R-hat of `chains` series of n numbers each,
 * x [chains][n]. fd_ess -- effective sample size of all of them. NAN for fewer than 4 numbers, of
 * fd_rhat 8, and where all are the same. */
double fd_iact(int n, const double *x, fd_arena scratch);
double fd_rhat(int chains, int n, const double *x, fd_arena scratch);
double fd_ess(int chains, int n, const double *x, fd_arena scratch);

/* fd_affine_law -- mean [n] and covariance [n][n] of the state after one step that is affine in
 * state and noise, x' = F x + f + Q z, z ~ N(0, 1): mean = F mean + f, cov = F cov F^T + Q Q^T. F,
 * f and Q come from calling the step itself with 0 and all unit vectors, so what is judged is the
 * code that runs. step: b states x [b][n] in place with noise z [b][q]. Returns the size of what is
 * not affine, relative to the step, at one random state. */
typedef void fd_affine_step(void *self, int b, double *x, const double *z, fd_arena scratch);
double fd_affine_law(fd_affine_step *step, void *self, int n, int q, double *mean, double *cov,
                     fd_arena scratch);

/* ---- 14. Bridges, control, rewards --------------------------------------------------------------
 *
 * Three ways to make a process do what is wanted: condition it on its end, steer it, or learn from
 * rewards. The process is first a linear equation, dX = -A X dt + dW on functions, 0 <= t <= T, W
 * with the covariance Q: diagonal in the modes, so
 *
 *     dX_k = -a_k X_k dt + sqrt(q_k) dw_k,        X_k(t + h) = e^-ah X_k(t) + sqrt(q g_k(h)) xi,
 *     g_k(h) = (1 - e^-2ah)/(2a), h where a = 0.
 *
 * Conditioned on its end (Doob's transform with h(t, x) = E[G(X_T) | X_t = x]) the process gets the
 * drift Q grad log h besides. For every end condition here that drift is the one towards the point
 * that is expected, E[X_T | X_t, condition], since a bridge's drift is affine in its end: some
 * functions say what end is expected, or draw one, and fd_bridge_step goes there. A network that
 * predicts the end takes their place.
 *
 *     fd_linear l = fd_linear_heat(&a, noise, 0.01, 0, 1);
 *     fd_bridge_end(&l, t, &o, y, &r, first, b, x, end, a);   a draw of X_T, given y and X_t = x
 *     fd_bridge_step(&l, t, t + h, b, x, end, xi, a);         an exact step of that path */

typedef struct {
    const fd_cov *noise;                 /* Q: q_k are its eigenvalues */
    const double *a;                     /* [modes]; NULL: all 0 */
    double T;
} fd_linear;
/* fd_linear_heat -- a_k = nu mu_k + c, mu_k the eigenvalue of minus the Laplacian: the stochastic
 * heat equation. a_k may be negative. FD_EARG where T is not positive or a number is not finite. */
fd_linear fd_linear_heat(fd_arena *a, const fd_cov *noise, double nu, double c, double T);
/* fd_linear_dbfs -- the process of [DBFS code, dbfs/dbfs_mnist.py] on an image's pixels, on Neumann
 * grids: a_k = 1 + sum_i (pi k_i/n_i)^2, and in the orthonormal cosine transform of the pixels the
 * noise a_k^-.02/energy^2, nearly white. k_i/n_i is a frequency per pixel: on a grid twice as fine
 * the same function has another process, which fd_linear_heat avoids. noise is NULL where it
 * fails. */
fd_linear fd_linear_dbfs(fd_arena *a, const fd_space *s, double energy, double T);
/* fd_linear_law -- e^-a(t-s) and the variance q g(t - s) of each mode, [modes] each, either may be
 * NULL. */
void   fd_linear_law(const fd_linear *l, double s, double t, double *decay, double *var,
                     fd_arena scratch);
/* fd_linear_step -- x from s to t > s without condition, exact, with xi ~ N(0, Q) given, or NULL
 * for none. */
void   fd_linear_step(const fd_linear *l, double s, double t, int b, fd_real *x, const fd_real *xi,
                      fd_arena scratch);
/* fd_bridge_step -- x from s to t, s < t <= T, given X_T = end, b of each, exact, without overflow
 * for any a: with R = T - s
 *     x_k = [e^-a(t-s) g(T - t) x_k + e^-a(T-t) g(t - s) end_k
 *            + sqrt(q g(t-s) g(T-t) g(R)) xi]/g(R)
 * which is [sinh(a (T-t)) x + sinh(a (t-s)) end]/sinh(aR) with the variance
 * q sinh(a (t-s)) sinh(a (T-t))/(a sinh(aR)). At t = T x is the end. xi ~ N(0, Q) is given, or NULL
 * for the mean. Modes without noise go where the equation takes them. */
void   fd_bridge_step(const fd_linear *l, double s, double t, int b, fd_real *x, const fd_real *end,
                      const fd_real *xi, fd_arena scratch);
/* fd_bridge_draw -- x at t_i, 0 < t_i <= T, of each of b bridges from x0 to end: fd_bridge_step
 * from 0 to times of their own, for training. x may be any of the inputs. */
void   fd_bridge_draw(const fd_linear *l, int b, const double *t, const fd_real *x0,
                      const fd_real *end, const fd_real *xi, fd_real *x, fd_arena scratch);
/* fd_bridge_path -- whole bridges at steps + 1 equal times of [0, T], path
 * [b][steps+1][ch][points], from x0 to end: what fd_bridge_step gives with fd_cov_draw(noise,
 * stream (r, 'w', k), first, ..) for the step to time k, to rounding, but the state stays in modes.
 * T is met exactly. */
void   fd_bridge_path(const fd_linear *l, int steps, fd_rng r, int first, int b, const fd_real *x0,
                      const fd_real *end, fd_real *path, fd_arena scratch);
/* fd_bridge_drift -- y = -A x + Q grad log h, t < T [Survey eqs. 5.1, 5.2], given X_T = end or, in
 * place of it, what is expected of X_T:
 *     y_k = -a x_k + (e^-a(T-t)/g(T - t)) (end_k - e^-a(T-t) x_k)
 * y may be x or end. FD_EARG for t >= T. */
void   fd_bridge_drift(const fd_linear *l, double t, int b, const fd_real *x, const fd_real *end,
                       fd_real *y, fd_arena scratch);
/* fd_bridge_cost -- |end - e^-AT x0|^2 in the Cameron-Martin norm of X_T, sum_k (..)^2/(q g(T)): 2
 * log of how much less likely the end is than the mean. A bridge on functions exists where the sum
 * converges. upper, where not NULL, gets the part of the modes of the upper half of all
 * wavenumbers, which then tends to 0 as the grid is refined. FD_EDATA where the end differs in a
 * mode without noise; then NAN. */
double fd_bridge_cost(const fd_linear *l, const fd_real *x0, const fd_real *end, double *upper,
                      fd_arena scratch);
/* fd_bridge_end -- end = E[X_T | X_t = x, y] for what is observed of X_T, F linear, y [m]: kriging
 * with the prior N(e^-A(T-t) x, q g(T-t)). With r not NULL it is a draw of that law, function i
 * from draw first + i. m^3 for each call. */
void   fd_bridge_end(const fd_linear *l, double t, const fd_obs *o, const double *y,
                     const fd_rng *r, int first, int b, const fd_real *x, fd_real *end,
                     fd_arena scratch);
/* fd_bridge_end_mix -- the same where X_T has the law of a mixture (point masses where c is NULL)
 * of Gaussians diagonal in the modes, for the process that starts in x0 [ch][points] at 0. With
 * V_T = q g(T), v = q g(T - t), component j has in each mode the law N(B/P, 1/P),
 *     P = 1/s^2 - 1/V_T + 1/v,  B = m/s^2 - e^-aT x0/V_T + e^-a(T-t) x/v,
 * and weighs, as a sum over modes, log w - log s - log(P)/2 + B^2/(2P) - m^2/(2 s^2), or the limit
 * of these where s = 0. */
void   fd_bridge_end_mix(const fd_linear *l, double t, const fd_real *x0, const fd_mix *law,
                         const fd_rng *r, int first, int b, const fd_real *x, fd_real *end,
                         fd_arena scratch);
/* fd_control_value -- min over controls u of E[1/2 int |u|^2 dt + Phi(X_T)] for
 * dX = (-A X + Q^1/2 u) dt + dW from x0, Phi(x) = 1/2 |Gamma^-1/2 (y - A x)|^2 of a linear
 * observation with noise, which is -log E exp(-Phi) without control:
 *     1/2 r^T (S + Gamma)^-1 r + 1/2 log det(1 + Gamma^-1 S),   S = A V_T A^T, r = y - A e^-AT x0.
 * The best control is Q^-1/2 (drift + A x) of fd_bridge_drift and fd_bridge_end. steps > 0: -log E
 * exp(-Phi) of Euler's chain with so many steps, which no control that is constant over each of
 * them can undercut; the value of the continuous problem can be. NAN where it fails. */
double fd_control_value(const fd_linear *l, int steps, const fd_obs *o, const double *y,
                        const fd_real *x0, fd_arena scratch);
/* fd_schroedinger_cov -- Cov(X_0, X_T) of the law closest to the process among those with
 * X_0 ~ N(., s0^2), X_T ~ N(., s1^2) in a mode: the fixed point of iterated bridge matching,
 * e^aT (sqrt(4 e^-2aT s0^2 s1^2 + V^2) - V)/2. [modes] each. */
void   fd_schroedinger_cov(const fd_linear *l, const double *s0, const double *s1, double *cov,
                           fd_arena scratch);

/* fd_semilinear_step -- dX = (-A X + N(X)) dt + dW in mild form by exponential Euler: x from s to t
 * with nx = N(x) given, N held constant over the step, all else exact:
 *     x_k = e^-a(t-s) x_k + ((1 - e^-a(t-s))/a) nx_k + sqrt(q g(t-s)) xi */
void   fd_semilinear_step(const fd_linear *l, double s, double t, int b, fd_real *x,
                          const fd_real *nx, const fd_real *xi, fd_arena scratch);
/* fd_girsanov -- logz [b] += <d, dW>_Q - h/2 |d|_Q^2, Cameron-Martin: the log of dP'/dP over a step
 * of length h of a path whose noise under P was dW ~ N(0, h Q), where P' has d more drift
 * [Thesis eqs. 2.31-2.40, 2.45-2.47, corrected]. E[Z f(X)] under P is E[f(X)] under P', to rounding
 * for Euler's chain. FD_EDATA where d holds modes that carry no noise. */
void   fd_girsanov(const fd_cov *q, double h, int b, const fd_real *d, const fd_real *dW,
                   double *logz, fd_arena scratch);

/* --- Systems of numbers with any noise -----------------------------------------------------------
 *
 * fd_system -- dX = f(X, t) dt + g(X, t) dW of d numbers with the noise of w numbers;
 * Sigma = g g^T. All is in double. */
typedef struct {
    int d, w;
    void (*f)(const void *self, const double *x, double t, double *y);      /* y [d] */
    void (*g)(const void *self, const double *x, double t, double *G);      /* G [d][w] */
    void (*div)(const void *self, const double *x, double t, double *y);    /* y [d]; may be NULL */
    const void *self;
} fd_system;
/* fd_system_step -- from t to t + h, of b systems x [b][d] with dW [b][w] ~ N(0, h):
 *   FD_SDE_EULER   X + f h + g dW, for Ito's sense
 *   FD_SDE_HEUN    X + (f + f') h/2 + (g + g') dW/2, ' at Euler's X, t + h, for Stratonovich's
 * FD_ENAN, with the system and the number, where a state is not finite: it stays as it was. */
void   fd_system_step(const fd_system *e, int scheme, double t, double h, int b, double *x,
                      const double *dW, fd_arena scratch);
/* fd_system_div -- y_i = sum_j d Sigma_ij/dx_j [d], by e->div, or where that is NULL by differences
 * of fourth order. */
void   fd_system_div(const fd_system *e, double t, const double *x, double *y, fd_arena scratch);
/* fd_system_target -- what a network at (x', t + h) should say of the step from x to x', b of them,
 * to learn the time reversal from paths [Baker et al. code, sdebridge/diffusion_bridge.py];
 * regress without weight, or with one that knows x' only:
 *   FD_REVERSAL_SCORE   -Sigma(x)^-1 (x' - x - f h)/h: it learns s = grad log p. FD_EDATA where
 *                       Sigma(x) is singular
 *   FD_REVERSAL_PULL    -(x' - x - f h)/h: it learns Sigma s + div Sigma
 *   FD_REVERSAL_DRIFT   -(x' - x)/h: it learns -f + Sigma s + div Sigma. This is E[x - x' | x']/h
 *                       of Euler's chain, which errs least where steps are long: the others learn
 *                       with f at x and use f at x'
 *                       [Yang et al. code, src/models/diffusion/diffuser.py] */
enum { FD_REVERSAL_SCORE = 1, FD_REVERSAL_PULL, FD_REVERSAL_DRIFT };
void   fd_system_target(const fd_system *e, int kind, double t, double h, int b, const double *x,
                        const double *next, double *y, fd_arena scratch);
/* fd_system_reverse -- y, the drift of the reversed process at (x, t), of what the network says:
 * -f + Sigma s + div Sigma, or -f + pull, to which div Sigma must not be added again, or what it
 * says. Differs from [Baker et al.], who leave div Sigma out. */
void   fd_system_reverse(const fd_system *e, int kind, double t, const double *x,
                         const double *says, double *y, fd_arena scratch);

/* fd_system_weight -- one step of the weights of Malliavin's calculus (Bismut, Elworthy and Li), of
 * b systems, before fd_system_step with the same x [b][d] and dW [b][w]:
 *     K = (1 + Df h) J,    y += rate K^T Sigma^-1 g dW,    J = K + sum_l Dg_l dW_l J
 * From J [b][d][d] = 1 and y [b][d] = 0 at (x, t), with sum rate h = 1 over the steps to T,
 *     E[y | X_T] = grad_x log p(X_T | X_t = x):
 * regress a network of (x, t, X_T) on y. The bridge has the drift f + Sigma u with what it says, in
 * forward time, and one training serves every end [Malliavin code, losses/losses.py]. Any rates
 * with that sum will do, 0 after a while: where Df > 0 J grows, and long weights have such tails
 * that training misses their mean (examples/study/well.md). For Euler's chain this is exact where
 * g is constant, else to order h; its bridge has (1 + Df h)^-T u of x at the point x + f h.
 * Derivatives by differences of fourth order. FD_EDATA where Sigma is singular. */
void   fd_system_weight(const fd_system *e, double t, double h, double rate, int b, const double *x,
                        const double *dW, double *J, double *y, fd_arena scratch);

/* fd_proposal -- guided proposals for the bridge of a system to X_T = end [Guided; Neural bridges].
 * The linear process dX~ = (B X~ + beta) dt + dW~, W~ with the covariance S, has a known density
 * h~(t, x) of its end. A path with the drift f + Sigma r, r = grad log h~, goes there, too, and
 * counts w = exp int G dt:
 *
 *     log h~ = c + v^T x - x^T H x/2,    r = v - H x,
 *     G = (f - B x - beta)^T r - tr[(Sigma - S)(H - r r^T)]/2,    p(end | x0) = h~(0, x0) E w,
 *
 * so that weighted paths, or a chain, are the exact bridge of any f as h tends to 0. S must be
 * Sigma(T, end), or int G has no limit as h tends to 0: of Brownian motion with S = 1.44 its
 * deviation is 1.1 at 200 steps and 1.5 at 2000. S NULL: Sigma(T, end). With gamma the end is
 * X_T + N(0, gamma), and any S will do. Where more > 0, values [more][d] at the times t[when_i],
 * ascending and between the ends, are known, too, with the noise [more][d][d]; h~ and p are of all
 * of them. How a path is weighed:
 *   FD_PROPOSAL_INTEGRAL  int G dt, of G at the begin of each step; 0 to rounding where the system
 *                         is the linear process. Its error is of order h
 *   FD_PROPOSAL_CHAIN     log of Euler's chain's density over that of the proposal and h~(0, x0):
 *                         h~ E w is the density of the chain's end, without bias. FD_EDATA where
 *                         Sigma is singular at the last step */
enum { FD_PROPOSAL_INTEGRAL = 1, FD_PROPOSAL_CHAIN };
typedef struct {
    const fd_system *e;
    int steps;
    const double *t;                     /* [steps + 1], ascending; T is the last one */
    const double *B, *beta, *S;          /* [d][d], [d], [d][d]; B, beta NULL: 0 */
    const double *end, *gamma;           /* [d]; [d][d], NULL: X_T is known */
    int weight;                          /* FD_PROPOSAL_.. */
    double *c, *v, *H;                   /* made: [steps + 1] of 1, [d], [d][d] */
    int more;
    const int *when;
    const double *values, *noise;
} fd_proposal;
/* fd_proposal_new -- c, v, H at each time of what is above them. What is given is kept by pointer.
 * Without gamma those of T are 0. FD_EDATA where S is not positive definite. */
fd_proposal *fd_proposal_new(fd_arena *a, const fd_proposal *how);
/* fd_proposal_log -- log h~(t_k, x). */
double fd_proposal_log(const fd_proposal *g, int k, const double *x);
/* fd_proposal_path -- b paths [b][steps + 1][d] from path[.][0] with the noise z [b][steps][w] ~
 * N(0, 1), by Euler's steps (without gamma the last one goes to the end), and log w of each.
 * FD_ENAN where a path is not finite. */
void   fd_proposal_path(const fd_proposal *g, int b, const double *z, double *path, double *logw,
                        fd_arena scratch);
/* fd_proposal_move -- step k of a chain, pCN on the noise: z' = sqrt(1 - s^2) z + s xi, accepted
 * with min(1, w'/w); 1 where it moved. z, path, logw are those of one path, begun by
 * fd_proposal_path; xi and the chance are of streams 'g' and 'u', k of r. */
int    fd_proposal_move(const fd_proposal *g, double s, fd_rng r, uint32_t k, double *z,
                        double *path, double *logw, fd_arena scratch);
/* fd_proposal_mean -- log of the mean of n weights; ess, where not NULL: (sum w)^2/sum w^2. */
double fd_proposal_mean(int n, const double *logw, double *ess);

/* --- Flows of outlines ---------------------------------------------------------------------------
 *
 * fd_kunita -- a stochastic flow of outlines [Baker et al.; Yang et al.]: P points x_i in 1 to 3
 * dimensions moved by the noise of L centres, dW [L][dim],
 *
 *     dx_i = sum_l k(x_i, c_l) dW_l,    k(x, c) = size exp(-|x - c|^2/(2 width^2)),
 *
 * all by one smooth random velocity. With waves = 0 the state z is the points, [P][dim]. With
 * waves = M it is those Fourier coefficients of the displacement from `from` that have j < M,
 * rfft(x - from)/P as r_0, r_1, i_1, .. of each dimension, [2M - 1][dim], the same on any number of
 * points; they move by those of the velocity, z = F^+ (x - from), x = from + F z. The system has
 * div: with R = F F^+ (waves = 0: 1) and gradients D k, in each dimension F^+ of
 *
 *     sum_l [(Dk)_il (R k)_il + k_il sum_j R_jj (Dk)_jl]
 *
 *   frozen  1: k at `from` in place of x: constant Sigma, Brownian shapes. From z0 their score is
 *           -Sigma^-1 (z - z0)/t, the pull -(z - z0)/t
 *   ito     1: with the drift F^+ of sum_l (Dk)_il (R k)_il/2, by which FD_SDE_EULER follows the
 *           flow in Stratonovich's sense, as FD_SDE_HEUN does without it
 *
 * Where centres are farther apart than width, Sigma is close to singular: learn the pull, not the
 * score. What is given is kept by pointer. FD_EARG for a number out of its range, FD_ESHAPE where
 * 2M - 1 > P or M > 32. */
typedef struct {
    int points, dim, centres;
    const double *centre;                /* [L][dim] */
    double size, width;
    int waves, frozen, ito;
    const double *from;                  /* [P][dim]; waves = 0 and not frozen: may be NULL */
} fd_shapes;
fd_system fd_kunita(fd_arena *a, const fd_shapes *how);
/* fd_kunita_points, fd_kunita_state -- b states z to points x [b][P][dim], and back: of points with
 * more waves, those that are kept. x and z must not overlap. */
void   fd_kunita_points(const fd_shapes *how, int b, const double *z, double *x);
void   fd_kunita_state(const fd_shapes *how, int b, const double *x, double *z);

/* --- Rewards -------------------------------------------------------------------------------------
 *
 * A sampler whose step is x' = mu(x) + s xi, xi ~ N(0, C), is a policy; one that is learned may
 * differ from it by a function of the Cameron-Martin space only, or the two laws exclude each
 * other.
 *
 * fd_policy_ratio -- log p_new(x')/p_old(x') = (<D, x' - mu_old>_C - |D|_C^2/2)/s^2,
 * D = mu_new - mu_old, of b steps; norm, where not NULL: |D|_C of each, which on finer grids has a
 * limit or grows. FD_EDATA where D holds modes without noise. */
void   fd_policy_ratio(const fd_cov *c, double s, int b, const fd_real *mu_new,
                       const fd_real *mu_old, const fd_real *next, double *ratio, double *norm,
                       fd_arena scratch);
/* fd_policy_pull -- y = C^power C^-1 (x' - mu)/s^2. power 0 is the gradient of log p(x') in mu, in
 * L2; 1 or 1/2 puts C or C^1/2 in front of it, as a parametrisation of mu by a network may have
 * it. */
void   fd_policy_pull(const fd_cov *c, double s, double power, int b, const fd_real *mu,
                      const fd_real *next, fd_real *y, fd_arena scratch);
/* fd_policy_weight -- what multiplies that gradient for a step of this log ratio and advantage:
 *   FD_POLICY_PLAIN    A: REINFORCE [DDPO eq. DDPO_SF]; at the policy that drew the path
 *   FD_POLICY_RATIO    rho A: importance weights step by step [DDPO eq. DDPO_IS]
 *   FD_POLICY_CLIPPED  the same, but 0 where rho is past 1 + clip (A > 0) or below 1 - clip
 *                      (A < 0): the slope of min(rho A, clip(rho) A). [DDPO] averages log p over
 *                      pixels; this sums over modes */
enum { FD_POLICY_PLAIN = 1, FD_POLICY_RATIO, FD_POLICY_CLIPPED };
double fd_policy_weight(int rule, double ratio, double advantage, double clip);
/* fd_advantages -- (r - mean)/(deviation + 1e-8), at most `most` either way (5 in [DDPO]; 0: any
 * size). */
void   fd_advantages(int n, const double *r, double most, double *adv, fd_status *st);
/* fd_reward_weights -- e^(beta r)/sum, of n samples: reward-weighted regression. r may be adv. In
 * the limit of many samples one round is the tilt p e^(beta r) [Thesis eq. 3.76; DDPO sec. 4.2],
 * and n rounds are that with n beta, which collapses: fit to draws of the first law, or keep a KL
 * to it. */
void   fd_reward_weights(int n, const double *r, double beta, double *w, fd_status *st);
/* fd_policy_model -- D = D_old + (C/lam_max)^power (D_now - D_old), C the noise of p: whatever
 * `now` says, D - D_old is a function of the Cameron-Martin space for power 1/2, and then
 * |D - D_old|_C^2 = |D_now - D_old|^2/lam_max in L2 of the modes with noise. power 0 gives D_now
 * there, which on finer grids is no policy. vjp where both models predict FD_X0 and have theirs;
 * var is that of the old one, so that FD_ANCESTRAL_OPTIMAL makes the same noise. FD_EARG for
 * power < 0. */
fd_model fd_policy_model(fd_arena *a, const fd_process *p, fd_model old, fd_model now,
                         double power);
/* fd_policy_best -- the best policy of a linear reward for the chain x' = a_k x + s_k z of n steps,
 * z ~ N(0, 1), a [n] and s [n] in the order in which they are taken. Of all policies that leave its
 * start alone the one with the largest E r - KL/beta, r = l x at the end and KL that of the paths,
 * moves step k by beta l shift_k, whatever x is:
 *
 *     shift_k = s_k^2 pi_k,      pi_k the product of the a of the steps after k.
 *
 * It moves the mean of the end by beta l sum_k s_k^2 pi_k^2 at KL (beta l)^2/2 times that sum,
 * which is returned. The tilt p e^(beta r) of the end moves it by beta l times its variance: by
 * keep^2 times the variance of the start more, keep the product of all a. Larger shifts reach it,
 * too, but cost more KL than they bring. For functions take it mode by mode, C in front of l. shift
 * [n] and keep may be NULL. NAN with FD_EARG for s < 0. */
double fd_policy_best(int n, const double *a, const double *s, double *shift, double *keep,
                      fd_status *st);

/* ---- 15. Tape: networks and their gradients -----------------------------------------------------
 *
 * Eager: an operator computes its value when it is called and remembers how to differentiate
 * itself. Gradients are values on the same tape: fd_grad returns variables that can be used and,
 * on a tape opened with FD_GRAD2, differentiated again. Shapes are row-major, at most FD_MAXD
 * axes; inside networks channels are last: [b][points][ch]. A shape error is recorded and the
 * operator returns NULL, which every operator accepts. */

typedef struct fd_var fd_var;
typedef struct fd_tape fd_tape;
struct fd_var {
    int nd, n[FD_MAXD];
    fd_real *x;                        /* the value */
    int needs;                         /* does a gradient flow through it? */
    const struct fd_op *op;            /* how it was made; NULL for leaves */
    fd_var *src[4], *prev;             /* from what; the variable made before it */
    fd_var *d;                         /* its gradient while fd_grad runs */
    fd_real *g;                        /* parameters: where fd_backward adds the gradient */
    double c[4]; int i[16];            /* what the operator keeps */
    void *aux;
};
enum {
    FD_EVAL,                           /* no gradients */
    FD_GRAD,                           /* first derivatives; fused kernels are allowed */
    FD_GRAD2                           /* derivatives of any order */
};
struct fd_tape {
    fd_arena *mem;                     /* where variables are made */
    char *mark;                        /* its beginning before the tape */
    fd_var *last;                      /* the variable made last */
    struct tape_rooms *rooms;          /* memory of gradients while fd_backward runs */
    int mode;
};

fd_tape fd_tape_begin(fd_arena *a, int mode);
/* fd_tape_end -- hand back everything that the tape took from its arena. */
void    fd_tape_end(fd_tape *t);
/* fd_input, fd_param -- a variable over x, kept by pointer: a constant; one that fd_grad can
 * differentiate for, whose gradient fd_backward adds to g where that is not NULL. */
fd_var *fd_input(fd_tape *t, int nd, const int n[], const fd_real *x);
fd_var *fd_param(fd_tape *t, int nd, const int n[], fd_real *x, fd_real *g);
/* fd_grad -- d sum(y) / d x_i for each i as variables on the tape (zeros where y does not depend on
 * x_i). dy: the weight of each entry of y, NULL for ones. FD_EARG for a constant, and on an FD_EVAL
 * tape. */
void    fd_grad(fd_tape *t, fd_var *y, fd_var *dy, int count, fd_var *const x[], fd_var *dx[]);
/* fd_backward -- add d sum(loss) / d p to p->g of every parameter on the tape. */
void    fd_backward(fd_tape *t, fd_var *loss);
ptrdiff_t fd_count(const fd_var *x);

/* Element by element, axes of length 1 (and missing leading axes) stretched as in numpy. */
fd_var *fd_add(fd_tape *t, fd_var *x, fd_var *y);
fd_var *fd_sub(fd_tape *t, fd_var *x, fd_var *y);
fd_var *fd_mul(fd_tape *t, fd_var *x, fd_var *y);
fd_var *fd_affine(fd_tape *t, fd_var *x, double c, double d);          /* c x + d */
/* fd_map -- y = f(x); every f with as many derivatives as the tape asks for. */
enum { FD_EXP = 1, FD_LOG, FD_RECIP, FD_SQRT, FD_SQUARE, FD_SIN, FD_COS, FD_TANH, FD_SIGMOID,
       FD_SILU, FD_GELU, FD_GELU_TANH, FD_RELU, FD_IDENTITY, FD_MAPS };  /* FD_GELU: x Phi(x) */
fd_var *fd_map(fd_tape *t, fd_var *x, int f);
/* fd_sum_to -- sum x onto a shape that would stretch to it; fd_spread -- stretch x to a shape. */
fd_var *fd_sum_to(fd_tape *t, fd_var *x, int nd, const int n[]);
fd_var *fd_spread(fd_tape *t, fd_var *x, int nd, const int n[]);
/* fd_matmul -- y = op(x) op(w) over the last two axes; leading axes equal, or w (and then x counts
 * as one tall matrix) has two axes only. ta, tb: transpose. */
fd_var *fd_matmul(fd_tape *t, int ta, int tb, fd_var *x, fd_var *w);
fd_var *fd_reshape(fd_tape *t, fd_var *x, int nd, const int n[]);
fd_var *fd_permute(fd_tape *t, fd_var *x, const int order[]);  /* axis i of y: axis order[i] of x */
fd_var *fd_concat(fd_tape *t, fd_var *x, fd_var *y, int axis);
fd_var *fd_slice(fd_tape *t, fd_var *x, int axis, int from, int len);
/* fd_softmax -- over the last axis. fd_layernorm -- (x - mean)/sqrt(var + eps) gain + bias over the
 * last axis; gain, bias [c]. */
fd_var *fd_softmax(fd_tape *t, fd_var *x);
fd_var *fd_layernorm(fd_tape *t, fd_var *x, fd_var *gain, fd_var *bias, double eps);
/* fd_groupnorm -- (x - m)/sqrt(mean (x - m)^2 + eps) gain + bias, x [b][n..][c]: m (centred = 0: 0)
 * and the mean square over the domain and the c/groups channels of a group; groups = c: instance
 * norm. Averages over the domain are those of the function on every grid, up to quadrature; those
 * over a batch would not be. */
fd_var *fd_groupnorm(fd_tape *t, fd_var *x, int groups, int centred, fd_var *gain, fd_var *bias,
                     double eps);
/* fd_attention -- softmax(q k^T / sqrt(d/heads)) v, head by head [Attention]: q [b][n][d], k
 * [b][m][d], v [b][m][e] -> [b][n][e]; head h has the columns h d/heads .. of q and k, h e/heads
 * .. of v. */
fd_var *fd_attention(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads);
/* fd_attention_over -- the same with keys that are points of a domain, of the given weights [m],
 * NULL for equal ones: probabilities of key j proportional to weight_j exp(q k_j / sqrt(..)),
 * which is a quadrature of an integral over the domain [Continuum]. FD_EDATA for a weight that is
 * not positive. */
fd_var *fd_attention_over(fd_tape *t, fd_var *q, fd_var *k, fd_var *v, int heads,
                          const fd_real *weight);
/* fd_patches -- x [b][n0]..[ch] to tokens [b][T][p0..ch]: tokens row by row, inside one row,
 * column, channel. p[a] divides n[a]. fd_unpatches -- back to axes n: its inverse and its
 * transpose. */
fd_var *fd_patches(fd_tape *t, fd_var *x, const int p[]);
fd_var *fd_unpatches(fd_tape *t, fd_var *x, int axes, const int n[], const int p[]);
/* fd_conv3 -- x [b][n0]..[ci], w [3]..[ci][co]: y(p) = sum_o x(p + o - 1) w(o); 1..3 axes. bc: the
 * boundaries of the axes, by which x goes on beyond their ends as the modes of section 6 do:
 * periodic; even around the end (FD_NEUMANN); odd (FD_DIRICHLET, where the next point is the end
 * itself, so 0); odd at 0 and even at L (FD_MIXED). NULL: zeros outside. */
fd_var *fd_conv3(fd_tape *t, fd_var *x, fd_var *w, const int bc[]);
/* fd_stencil -- a stencil of physical width, each channel by itself: x [b][n0]..[c], w [k0]..[c],
 *
 *     y_c(p) = sum_o w_c(o) x_c(p + o step),   |o_a| <= (k_a - 1)/2, k_a odd and at most 9.
 *
 * x goes on beyond the ends of an axis as its modes of section 6 do (bc NULL: periodic). step: in
 * points of this grid, h0/h for a stencil that was made on a grid of spacing h0: a convolution
 * there, with dilation q on a grid q times as fine, and on any grid the multiplier
 * sum_o w(o) exp(2 pi i k.o h0/L) of a periodic mode k (of the Nyquist mode the real part): one
 * operator on all grids. Steps of whole points cost k0 k1 .. products an entry, others a matrix
 * n x n for each tap of an axis. */
fd_var *fd_stencil(fd_tape *t, fd_var *x, fd_var *w, int axes, const int bc[], const double step[]);
/* fd_gather -- y_i = sum_j weight_ij x_index(i,j), i < m, j < k, of the points of x [b][n][c] ->
 * [b][m][c]; index [m][k], weight [m][k] or NULL for ones, both kept by pointer: neighbours,
 * interpolation, averages. */
fd_var *fd_gather(fd_tape *t, fd_var *x, int m, int k, const int index[], const fd_real *weight);
/* fd_fourier_features -- cos(x freq) and sin(x freq): x [..][k], freq [k][m] -> [..][2 m].
 * fd_gabor -- sin(omega x) exp(-decay x^2), each entry [FDP code, models/mlp_modulation.py].
 * fd_scale_shift -- (1 + gamma) x + beta: x [b]..[c] or [b * rows][c], ss [b][gamma, beta][c]. */
fd_var *fd_fourier_features(fd_tape *t, fd_var *x, fd_var *freq);
fd_var *fd_gabor(fd_tape *t, fd_var *x, double omega, double decay);
fd_var *fd_scale_shift(fd_tape *t, fd_var *x, fd_var *ss);
/* fd_regrid -- x [b][n0]..[ch] on another grid of the same domain: shared modes of section 6 kept,
 * Nyquist modes dropped, as fd_resample; an axis that keeps its points stays as it is. bc NULL:
 * periodic. On 1 point of a periodic or Neumann axis: the mean. */
fd_var *fd_regrid(fd_tape *t, fd_var *x, int axes, const int bc[], const int n[]);
/* fd_spectral -- spectral convolution [FNO eq. 4], channels last, x [b][n0]..[ci], y [b][n0]..[co],
 *
 *     y_o(p) = Re sum_k c_k sum_i R_k,i,o xhat_i(k) exp(2 pi i k.p/n),
 *     xhat_i(k) = (1/n) sum_p x_i(p) exp(-2 pi i k.p/n)
 *
 * over lo[a] <= k_a <= hi[a] of the first axes and 0 <= k <= hi of the last one, c_k = 2 where the
 * last component has a distinct mirror image and 1 at 0 and n/2: what irfftn(R rfftn(x)) gives, the
 * projection of the k_last = 0 plane included. w [K_0]..[K_last][ci][co][2]: k in ascending order
 * on each axis, K = hi - lo + 1; or separable, w [K_0]..[K_last][c][2], R diagonal in the channels.
 * The same w acts on any grid with enough modes: FD_ESHAPE where -lo > n/2, hi > (n-1)/2 on a
 * first axis, hi > n/2 on the last. */
fd_var *fd_spectral(fd_tape *t, fd_var *x, fd_var *w, int axes, const int lo[], const int hi[]);
/* fd_cov_apply -- C^p x on the tape, x [b][ch][points] (self-adjoint). */
fd_var *fd_cov_apply(fd_tape *t, const fd_cov *c, double p, fd_var *x);
/* fd_mse_loss -- (1/b) sum_i w_i |x_i - y_i|^2 in L2 of the space (x [b][ch][points]); w NULL for
 * ones. */
fd_var *fd_mse_loss(fd_tape *t, const fd_space *s, fd_var *x, const fd_real *y, const double *w);

/* ---- 16. Networks -------------------------------------------------------------------------------
 *
 * A network maps functions to functions: x [b][in][points] on a space to [b][out][points], with the
 * same weights on every grid. fd_arch says which one of the library's kinds it is, and fd_net_new
 * makes it; fd_net_define makes one of a function of yours. Then fd_forward runs it on a tape,
 * fd_net_model turns it into a model for section 11, and fd_opt_step trains it. */

enum {                       /* fd_arch.kind; each is described below */
    FD_FNO_ORIGINAL,         /* Fourier neural operator as its authors wrote it [KER; ML] */
    FD_FNO_BLOCK,            /* the same in the style of [neuraloperator; FFM] */
    FD_VIT,                  /* transformer on patches [ViT] */
    FD_UVIT,                 /* the same with skips from its first half to its second [U-ViT] */
    FD_SIREN,                /* function of coordinates: sines [SIREN] */
    FD_GABOR,                /* function of coordinates: sines under bells [FDP] */
    FD_UNO,                  /* U-shaped Fourier operator [DDO] */
    FD_FNO_UNET,             /* U-Net of Fourier layers [DDO-SDF] */
    FD_POINTS,               /* transformer on points anywhere [Continuum] */
    FD_FNO_SEPARABLE,        /* Fourier operator that leaves channels apart [HDM] */
    FD_OWN                   /* a function of yours: what fd_net_define makes */
};
enum { FD_LEVELS = 6 };      /* most levels of a U-shaped network */
enum {                       /* fd_arch.time: how a time comes in */
    FD_TIME_CHANNEL = 1,     /* as one more channel, constant in space */
    FD_TIME_FILM,            /* by an embedding that scales and shifts every layer */
    FD_TIME_TOKEN,           /* by an embedding: a token, or added to the lifted function */
    FD_TIME_NONE             /* not at all */
};
enum {                       /* fd_arch.clock: the embedding of time */
    FD_CLOCK_WAVES,          /* cos and sin of tscale t 10000^(-2 i/embed) */
    FD_CLOCK_RANDOM          /* random Fourier features [SDE app. H.2] */
};
enum {                       /* fd_arch.vit.pos: positions of tokens */
    FD_POS_WAVES,            /* fixed cosines and sines */
    FD_POS_LEARNED,          /* a weight [tokens][width] */
    FD_POS_NONE
};
enum {                       /* fd_arch.inr.mod: how a coordinate network is modulated */
    FD_MOD_NONE,
    FD_MOD_SHIFT,            /* shifts, [layers][width] numbers a sample */
    FD_MOD_SCALE,            /* shifts and scales, twice as many [functa] */
    FD_MOD_WEIGHTS           /* a change of every weight */
};
enum {                       /* fd_arch.coords: coordinates u of n points on an axis */
    FD_COORD_OPEN = 1,       /* those of section 6 over the length, i/n on a periodic axis */
    FD_COORD_CLOSED,         /* i/(n - 1), the end included */
    FD_COORD_NONE            /* none */
};
enum {                       /* fd_arch.edges: what a network knows of the ends of an axis */
    FD_EDGES_SPACE = 1,      /* what the space says of them */
    FD_EDGES_PLAIN           /* nothing: every axis is treated alike */
};

/* fd_arch, below, says which network: what all kinds read, and structs that some of them read,
 *
 *     FD_FNO_ORIGINAL, FD_FNO_BLOCK, FD_FNO_SEPARABLE  fno      FD_VIT, FD_UVIT  vit
 *     FD_UNO, FD_FNO_UNET                              fno, u   FD_POINTS        vit, points
 *     FD_SIREN, FD_GABOR                               inr      with a field     field, inr too
 *
 *     fd_arch h = { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .time = FD_TIME_FILM,
 *                   .fno = { .modes = { 12, 12 }, .lift = -1 } };
 *
 * Every number may be 0, which means the default in brackets; where nothing can be wanted as well,
 * it has a word or a number of its own, such as FD_COORD_NONE or lift = -1. FD_EARG names a number
 * that is out of its range, and one in these structs that the kind does not read. f is the
 * activation `act`, h the inside of the network, S a spectral convolution (fd_spectral), W a
 * matrix, b a bias. Layers that take time by FD_TIME_FILM compute f((1 + gamma(t)) u + beta(t)) in
 * the place of f(u), with gamma and beta from an embedding of time through two dense layers with
 * SiLU, 0 at first. */

/* Fourier operators. On a grid that has fewer modes, all take those that are there.
 *
 * FD_FNO_ORIGINAL: h = x W + b; layers times h <- f(S h + h W + b), the last one without f;
 * y = f(h W + b) W + b with proj [128] numbers between. modes[a] = M: waves -M..M-1 on first axes,
 * 0..M-1 on the last one. S begins uniform on [0, 1/width^2).
 * FD_FNO_BLOCK: the same layers between two pairs of dense layers, with lift and proj [256] numbers
 * inside. modes[a] = m: waves -m/2..(m-1)/2 on first axes, 0..m/2 on the last one. S begins normal,
 * with complex variance 1/width.
 * FD_FNO_SEPARABLE [HDM]: layers times h <- norm(f(h)), h <- S h + b + gate h with a separable S,
 * h <- f(mlp(f(h))) + gate h, the last layer without the f inside. modes are counted as in
 * FD_FNO_ORIGINAL. FD_TIME_TOKEN: an embedding added to the lifted function. With linear = 1 the
 * norms are left out, too. */
typedef struct {
    int modes[3];            /* of each axis [26, of 3 axes 12; where they count half: 13, 6] */
    int lift, proj;          /* numbers inside of lifting and projection, -1: one layer [U-shaped,
                                FD_FNO_SEPARABLE: lift -1; U-shaped: proj -1]; FD_FNO_ORIGINAL has
                                no other lift than -1 */
    double pad[3];           /* zeros behind each axis, as a part of it: 8 on 120 is 1/15 */
    int linear;              /* 1: no f that x passes: linear in x, to compare with exact answers */
    int groups;              /* of norms: U-Net [32, or what divides width], FD_FNO_SEPARABLE [4] */
    int mlp;                 /* FD_FNO_SEPARABLE: numbers inside of its MLPs [4 width] */
    int residual;            /* The rest: FD_FNO_ORIGINAL, FD_FNO_BLOCK. 1: h <- h + layer(h) */
    int acts;                /* layers with f, the first ones [layers - 1], -1: none */
    int mix;                 /* numbers inside of the channel MLP of [neuraloperator] after every
                                layer, h <- f(norm(mlp(layer(h)) + gate h)), with GELU, 0: none */
    int mix_acts, gates;     /* layers with f before theirs [acts], -1: none; 1: gate is a matrix,
                                else one number a channel */
    int norms;               /* groups of norms of S h, before h W, and of those of mix; width:
                                instance norms; 0: none */
    int stencil;             /* fd_stencil before S and W of every layer: odd taps on an axis, up to
                                9, one point of `grid` apart, so that it is local and the same
                                operator on every grid; 0: none */
} fd_arch_fno;

/* FD_UNO: one block u = f(S h + h W + b) for each level, from the grid of the level above to its
 * own; then up again, where each block is joined with what came down, and before the projection
 * with the lifted input. modes are those of the whole grid as FD_FNO_BLOCK counts them; a level
 * keeps `scale` of them. Grids change by fd_regrid. Differs from [DDO], which interpolates h W,
 * keeps Nyquist modes, and computes an embedding of time that it does not use: FD_TIME_NONE.
 * FD_FNO_UNET: residual blocks h W + conv2(f(norm2(conv1(f(norm1(h)))))), `layers` a level,
 * conv = S h + h W + b, norms of the kept modes, FiLM after norm2; two at the bottom, layers + 1 a
 * level on the way up, each joined with a value of the way down. Between levels fd_regrid and one
 * more conv. Inside, the embedding has 4 embed numbers. Differs from [DDO-SDF] in the low-pass
 * filter, an ideal one here. */
typedef struct {
    int levels;              /* [4; U-Net 3] */
    int mult[FD_LEVELS];     /* widths of the levels over width [1 2 4 4 ..; U-Net 1 2 2 ..] */
    double scale[FD_LEVELS]; /* points of their axes over those of the grid [1 3/4 1/2 1/4 ..; U-Net
                                1 1/2 1/4 ..] */
    double rank;             /* FD_UNO: the part of the numbers that S has as a Tucker tensor, core
                                x_0 U_0 x_1 U_1 .., complex, over modes, in and out, multiplied out
                                in every pass [.1 in DDO], 0: S is whole */
} fd_arch_u;

/* FD_VIT: patches become tokens, a token of time (FD_TIME_TOKEN) comes before them, and positions
 * are added; layers times h <- h + attention(norm(h)), h <- h + mlp(norm(h)); then a norm, a linear
 * map back to patches and fd_conv3, which by `edges` goes on beyond the ends as the space does, or
 * with zeros.
 * FD_UVIT: the same with an odd number of layers, the first half of which feed the second:
 * h <- [h, skip] W + b. Positions are those of the grid `grid`; on another grid they are taken at
 * the same places of the domain. Differs from [FDP code, models/uvit.py], whose positions are one
 * token off. */
typedef struct {
    int heads, mlp;          /* of attention [4]; numbers inside of an MLP [4 width] */
    int qkv_bias;            /* 1: attention's maps have biases */
    int pos, patch[3];       /* FD_POS_..; points of a patch [4, 2 or 1, what divides grid] */
} fd_arch_vit;

/* FD_POINTS: tokens are pairs of a place and the value there, on grids or clouds, through dense
 * layers; `layers` blocks as in FD_VIT, over learned tokens that first read the points, or over the
 * points themselves. Queries, made of places and with pixels of x there, read the result. Attention
 * to points is weighted as a quadrature: fd_attention_over. Of vit it reads what blocks have. */
typedef struct {
    int waves[3];            /* pairs of waves that tell a place, for each axis, up to 16 [6] */
    int lift;                /* numbers inside of the dense layers [2 width], -1: one layer */
    int latent, pixels;      /* learned tokens, 0: none; 1: queries get x at their places */
} fd_arch_points;

/* FD_SIREN: h <- sin(omega (h W + b)), layers times, then h W + b. The input is where a point is
 * (edges), the in channels of x, of which there may be none, and with FD_TIME_CHANNEL
 * 2 tscale t - 1. FD_GABOR: the same with sin(omega a) exp(-10 a^2), and the input again at every
 * layer. Both can be modulated for each sample, see fd_inr. With inner > 0 they adapt to what they
 * are given [FDP; functa]: modulations m = 0, then `inner` steps m <- m - rate d|field(m) - x|^2/dm
 * with the norm of L2; the result is field(m), and in = out. Differs from [FDP]: there the norm is
 * that of the stationary law, and rates double with every step. */
typedef struct {
    int mod, latent;         /* FD_MOD_.. [of a field FD_MOD_SCALE]; modulations are linear in so
                                many numbers, 0: they are free */
    double omega;            /* of sines [30] */
    int inner;               /* The rest: not of a field. Steps of the inner loop, 0: none */
    int rates;               /* 1: one learned rate for each number [Meta-SGD] */
    int first;               /* 1: gradients leave out the second derivatives of the loop */
    int blind;               /* 1: the field sees places and time, and x only the inner loop */
    double rate, clip;       /* [.01]; largest size of an entry of the loop's gradient, 0: any */
} fd_arch_inr;

/* FD_SIREN or FD_GABOR as a field above FD_FNO_ORIGINAL, FD_FNO_BLOCK, FD_FNO_SEPARABLE, FD_VIT or
 * FD_UVIT: the modulation network of [Thesis sec. 4.1], and with a Fourier operator the hybrid that
 * is not yet explored [Survey]. The last features, brought to `pool` points an axis (their lowest
 * modes; with 1 the mean over the domain), give by one linear map the modulations of a coordinate
 * network, or its latent numbers, which a second map decodes. The field is evaluated at the points
 * of x, or by fd_query anywhere. Transformers read x resampled to `grid`. */
typedef struct {
    int kind;                /* 0: there is none */
    int width, layers;       /* [128], [4] */
    int pixels, pool;        /* 1: it gets x at the point as well; points of an axis [1] */
} fd_arch_field;

/* fd_arch -- edges: networks that are functions of coordinates (FD_SIREN, FD_GABOR, FD_POINTS, a
 * field) with FD_EDGES_SPACE get of the coordinate u in [0, 1] of an axis the pairs
 * cos, sin(2^k w u), k < K: w = 2 pi on a periodic axis, whose ends then are one point, and w = pi
 * on others, where the pair is a half circle; K = waves[a] for FD_POINTS, else 1, so that weights
 * are the same for every boundary. A cloud has the boundaries of the space that it is asked from,
 * or its own bc, which fd_dense leaves periodic where it is not told a grid. With FD_EDGES_PLAIN
 * they get 2 u - 1, and FD_POINTS also pairs with w = pi, on every axis, and fd_conv3 has zeros
 * outside: a seam on periodic axes. So it is in checkpoints that do not have this field. */
typedef struct {
    int kind, nd, in, out;   /* FD_FNO_ORIGINAL..; axes, channels of x and of the result */
    int width;               /* channels inside [32; U-shaped 16; transformers, coordinates 64] */
    int layers;              /* [4; FD_UVIT 5; FD_UNO 1; U-Net of 3 axes 2] */
    int time, coords;        /* FD_TIME_.. [FD_TIME_NONE]; FD_COORD_.. [FD_COORD_NONE; functions of
                                coordinates: FD_COORD_OPEN] */
    int edges;               /* FD_EDGES_.. [FD_EDGES_SPACE] */
    int act;                 /* f, of fd_map [FD_GELU; U-Net FD_SILU]; FD_IDENTITY: none */
    int clock, embed;        /* FD_CLOCK_..; numbers of the embedding of time, even [4 width;
                                FD_VIT, FD_UVIT, U-Net, FD_FNO_SEPARABLE: width, or one more] */
    double tscale;           /* factor of time [1; with an embedding 1000]. [FFM] divides a time in
                                [0, 1] by 1000 */
    double eps;              /* of norms [1e-5; transformers 1e-6]. Those of the U-Net have 1e-6,
                                those of FD_FNO_SEPARABLE 1e-5, whatever it is */
    int grid[3];             /* points of the grid that positions, or a stencil, are made for */
    int labels;              /* how many labels a function can have, 0: none. Each, and no label, is
                                a vector, in FD_VIT and FD_UVIT a token after that of time
                                [U-ViT; Thesis sec. 3.8.4], in others added to its embedding */
    fd_arch_fno fno;
    fd_arch_u u;
    fd_arch_vit vit;
    fd_arch_points points;
    fd_arch_inr inr;
    fd_arch_field field;
} fd_arch;

typedef struct { char name[48]; int nd, n[FD_MAXD]; ptrdiff_t at; } fd_part;   /* a weight */
typedef struct fd_net fd_net;

/* fd_pass -- what a network is given when it runs, and what its building blocks take. */
typedef struct {
    fd_tape *t;              /* to compute on */
    const fd_space *s, *to;  /* where x is given; where the result is asked for: s, or fd_query's */
    int b;                   /* functions of the batch */
    const double *time;      /* [b], or NULL */
    const int *label;        /* [b], -1: none; or NULL */
    const fd_net *net;       /* the rest is the library's own */
    fd_net *plan;
    fd_rng rng;
    int next, frozen;
    char scope[32];
} fd_pass;
/* fd_network -- a network as a function: x [b][in][points of s] to [b][out][points of to]. */
typedef fd_var *fd_network(fd_pass *p, fd_var *x, const void *self);

struct fd_net {
    fd_arch arch;            /* with the defaults filled in */
    ptrdiff_t count;         /* reals in all */
    fd_real *w, *g;          /* weights and their gradient, [count] each; part p starts at p.at. Of
                                fd_net_over: w is only read, g is NULL */
    int parts;
    fd_part *part;
    fd_network *page;        /* of fd_net_define, else NULL */
    const void *self;
};

fd_net *fd_net_new(fd_arena *a, const fd_arch *arch, fd_rng r);
/* fd_net_count -- how many weights this network has, without making it; 0 with an error. Training
 * takes five times the bytes of so many reals (weights, gradient, average and two moments;
 * FD_AMSGRAD six times), and room for a batch. */
ptrdiff_t fd_net_count(const fd_arch *arch, fd_arena scratch);
/* fd_net_with -- the same network with other weights w[count] (an average, say), kept by
 * pointer. */
fd_net *fd_net_with(fd_arena *a, const fd_net *net, fd_real *w);
/* fd_net_over -- a network over weights w[count] that are there already, in flash, say: kept by
 * pointer and only read, in the order of net->w. It takes no memory for weights or gradients, so it
 * answers on every tape, with exact gradients for its input, but is not trained: fd_opt_new,
 * fd_opt_step and fd_net_restore refuse it with FD_EARG. FD_ESHAPE where count is not
 * fd_net_count's. */
fd_net *fd_net_over(fd_arena *a, const fd_arch *arch, const fd_real *w, ptrdiff_t count);
/* fd_forward -- x [b][in][points] on a grid, time [b] -> [b][out][points]. Through an inner loop
 * gradients are exact on an FD_GRAD2 tape; on an FD_GRAD tape they are those of first order. */
fd_var *fd_forward(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x, const double *time);
/* fd_forward_label -- the same with a label [b] for each function, 0..labels - 1, or -1 for none;
 * fd_forward tells none. Labels that are left out for a tenth of the functions of training make a
 * model that answers with and without [CFG]. */
fd_var *fd_forward_label(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x,
                         const double *time, const int *label);
/* fd_query -- the same with the result on another space `to` of the domain: a grid, or points whose
 * coordinates are in to->at. For FD_POINTS, networks that have a field, and your own. */
fd_var *fd_query(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x, const double *time,
                 const fd_space *to);
/* fd_encode -- what the network below a field makes of x: the modulations [b][fd_inr_size] for
 * fd_inr. */
fd_var *fd_encode(const fd_net *net, fd_tape *t, const fd_space *s, fd_var *x, const double *time);
/* fd_inr_size, fd_inr -- how many numbers modulate a sample of a coordinate network (0: none), and
 * the field that they make on any grid: a of layer l becomes (1 + scale_l) a + shift_l
 * (FD_MOD_SHIFT: a + shift_l), mods [b][layers][shift, scale][width]; FD_MOD_WEIGHTS: weights
 * w + mods, in the order of net->w; with latent numbers z these are z D + d. x [b][in][points],
 * NULL where in is 0; mods NULL: none. */
ptrdiff_t fd_inr_size(const fd_net *net);
fd_var *fd_inr(const fd_net *net, fd_tape *t, const fd_space *s, int b, fd_var *x,
               const double *time, fd_var *mods);
/* fd_adapt -- steps of m <- m - rate g, g = d sum(loss(m))/dm, each entry cut to [-clip, clip] (0:
 * any): the inner loop of meta-learning [MAML; Meta-SGD; functa]. rate: a number or one for each
 * entry. What is made of the result has, on an FD_GRAD2 tape, its exact gradient for m, rate and
 * all that the loss depends on; on an FD_GRAD tape g counts as a constant. Samples stay apart if
 * the loss is a sum over them. */
fd_var *fd_adapt(fd_tape *t, int steps, double clip, fd_var *m, fd_var *rate,
                 fd_var *(*loss)(const void *self, fd_tape *t, fd_var *m), const void *self);

/* --- Networks of your own ---
 *
 * fd_net_define -- a network whose page is your function: its weights are those that the function
 * asks for by fd_weight and the blocks below, each of which has a name. First the function is run
 * to learn which these are. Then every variable but x is NULL, which all operators accept, and
 * nothing is computed: so it must not return early where one is NULL, read numbers, or ask for
 * weights whose shapes depend on x or on the grid. The weights are drawn from r, part i from
 * fd_stream(r, 'w', i) by its law, and a pass on a function of the space s, which is zero at all
 * points, shows whether all is well: FD_EARG or FD_ESHAPE if not, with the name of the weight that
 * is wrong. The space gives the number of axes and of channels; afterwards the network acts on
 * every grid, and on points with coordinates, that the function can take. page and self are kept
 * by pointer.
 *
 * All that takes networks takes it, fd_query included. fd_net_save stores its weights; a file does
 * not hold the function, so define the network again and fill it by fd_net_restore. */
fd_net *fd_net_define(fd_arena *a, fd_network *page, const void *self, const fd_space *s, fd_rng r);

/* fd_init -- the law of a weight's first values: one number; N(0, deviation^2); uniform on [lo,
 * hi); the identity matrix. */
enum { FD_INIT_CONSTANT, FD_INIT_NORMAL, FD_INIT_UNIFORM, FD_INIT_IDENTITY };
typedef struct { int law; double a, b; } fd_init;
fd_init fd_init_constant(double c);
fd_init fd_init_normal(double deviation);
fd_init fd_init_uniform(double lo, double hi);
fd_init fd_init_identity(void);
/* fd_scope -- from here on names of weights begin with "group<i>."; i < 0: with "group."; group
 * NULL: with nothing. At most 20 letters. */
void    fd_scope(fd_pass *p, const char *group, int i);
/* fd_weight -- the weight of this name, as a variable [n..]. With its scope a name has at most 46
 * letters; the blocks below append .w, .b and the like. */
fd_var *fd_weight(fd_pass *p, const char *name, int nd, const int n[], fd_init first);
/* fd_dense_layer -- x W + b over the last axis, `in` to `out` numbers; both uniform on +-
 * 1/sqrt(in) at first. fd_mlp -- two of them, name.fc1 and name.fc2, with a map f of fd_map
 * between, FD_IDENTITY for none; hidden > 0. */
fd_var *fd_dense_layer(fd_pass *p, const char *name, fd_var *x, int in, int out);
fd_var *fd_mlp(fd_pass *p, const char *name, fd_var *x, int in, int hidden, int out, int f);
/* fd_spectral_layer -- f(spectral(h) + h W + b) [FNO eq. 2], h [b][n0]..[in] on a grid of p->s's
 * axes -> [b][n0]..[out]: waves |k_a| <= modes[a], or those of them that the grid has. */
fd_var *fd_spectral_layer(fd_pass *p, const char *name, fd_var *h, int in, int out,
                          const int modes[], int f);
/* fd_norm_layer -- fd_layernorm (groups 0) or fd_groupnorm with gain 1 and bias 0 at first; x has c
 * channels. */
fd_var *fd_norm_layer(fd_pass *p, const char *name, fd_var *x, int c, int groups);
/* fd_attention_block -- a block of a transformer of tokens h [b][n][width] [ViT eqs. 2, 3]:
 * h <- h + attention(norm(h)), h <- h + mlp(norm(h)), with `heads` heads, mlp numbers inside, GELU.
 * fd_cross_block -- the same, keys and values being those of `from` [b][m][width]. b is p->b, and
 * all tokens of a function see each other: FD_ESHAPE for other first axes. Their parts have names
 * of their own, norm1, attn.qkv ..: give each block a scope. */
fd_var *fd_attention_block(fd_pass *p, fd_var *h, int width, int heads, int mlp);
fd_var *fd_cross_block(fd_pass *p, fd_var *h, fd_var *from, int width, int heads, int mlp);
/* fd_time_embedding -- cos and sin of scale * time * 10000^(-2 i/width), [b][width].
 * fd_label_embedding -- a vector for each label, and one for none, [b][width]: one weight, "label".
 * fd_film_layer -- (1 + gamma) h + beta, h [b]..[c], gamma and beta linear in e [b][width], 0 at
 * first. */
fd_var *fd_time_embedding(fd_pass *p, int width, double scale);
fd_var *fd_label_embedding(fd_pass *p, int labels, int width);
fd_var *fd_film_layer(fd_pass *p, const char *name, fd_var *h, int c, fd_var *e, int width);
/* fd_coordinates -- of the points of s, [b][points][..]: of each axis u in [0, 1], or so many pairs
 * cos, sin(2^k w u), k = 0, 1 .., w = 2 pi on a periodic axis, whose ends then are one point, and
 * pi on others. */
fd_var *fd_coordinates(fd_pass *p, const fd_space *s, int pairs);
/* fd_channels_last -- x [b][ch][points of p->s] to [b][n0]..[ch] on a grid, [b][points][ch]
 * elsewhere. fd_channels_first -- h [b]..[ch] to [b][ch][points of p->to], as a network's
 * result. */
fd_var *fd_channels_last(fd_pass *p, fd_var *x);
fd_var *fd_channels_first(fd_pass *p, fd_var *h);

/* fd_net_model -- the network as a model that predicts the given kind, with vjp. fd_net_labelled --
 * told one label, -1 for none: two such models make fd_free_guided. fd_net_raw -- a network that
 * sees more than it says, for fd_amortised_model: eval gets [b][in][points] on a space of `in`
 * channels and gives [b][out][points]; no vjp. */
fd_model fd_net_model(fd_arena *a, const fd_net *net, int predicts);
fd_model fd_net_labelled(fd_arena *a, const fd_net *net, int predicts, int label);
fd_model fd_net_raw(fd_arena *a, const fd_net *net);

/* fd_adam -- the optimiser, every number as it stands; fd_adam_default gives the usual ones, in
 * brackets. For all rules the decay is decoupled.
 *   FD_ADAMW      Adam, with decay AdamW                  [Adam alg. 1; AdamW alg. 2]
 *   FD_AMSGRAD    the largest v so far in place of v      [AMSGrad alg. 2]
 *   FD_ADABELIEF  v is the mean of (g - m)^2 + eps        [AdaBelief alg. 2; FDP]
 * Rate: lr * min(1, step/warmup), then (steps > 0) by a cosine from lr to lr_end at `steps`. */
enum { FD_ADAMW, FD_AMSGRAD, FD_ADABELIEF };
typedef struct {
    double lr, lr_end;               /* [1e-3], [0] */
    double beta1, beta2, eps;        /* below 1 [.9], [.999]; at least 1e-30 [1e-8;
                                        FD_ADABELIEF: 1e-16] */
    double decay;                    /* decoupled: w -= rate decay w [0] */
    double clip;                     /* largest norm of the gradient; 0: any [0] */
    double clip_each;                /* then the largest size of an entry; 0: any [0] */
    double ema;                      /* average <- ema average + (1 - ema) w, bias-corrected start:
                                        min(ema, (1 + step)/(10 + step)); 0: the weights
                                        themselves [.999] */
    int warmup, steps, rule;         /* [0], [0], FD_.. */
} fd_adam;
fd_adam fd_adam_default(int rule);
typedef struct {
    fd_adam how;
    int step;
    ptrdiff_t count;
    fd_real *m, *v, *avg, *top;      /* top: FD_AMSGRAD, else NULL */
} fd_opt;
/* fd_opt_new -- how NULL: the default of FD_ADAMW. FD_EARG for a number out of its range, which is
 * named. */
fd_opt *fd_opt_new(fd_arena *a, const fd_net *net, const fd_adam *how);
double  fd_opt_rate(const fd_opt *o, int step);
/* fd_opt_step -- one step with net->g, which is then cleared: several fd_backward before it add up.
 * Returns the norm of the gradient. A norm that is not finite, or, as far as it is not clipped,
 * above 1e18 (in double 1e150), records FD_ENAN and changes nothing. */
double  fd_opt_step(fd_opt *o, fd_net *net, fd_status *st);

/* ---- 17. Files ----------------------------------------------------------------------------------
 *
 * Arrays, named tensors, pictures and networks in files of formats that others read (absent under
 * FD_NO_STDIO):
 *
 *     fd_npy_save(&st, "x.npy", 2, (int[]){16, 64}, x);
 *     fd_array data = fd_load(&a, "train-images-idx3-ubyte");
 *
 * A file is written under a name of its own in the same folder, brought to the disk and renamed: a
 * crash leaves the old file or the new one, and of several writers to one path each succeeds and
 * the last one stays. A symbolic link at the path is replaced, a device or a pipe is refused.
 * (Without POSIX: not brought to the disk, and two writers that start at the same instant may
 * disturb each other.) Every count in a file is checked against its length before use, and the
 * memory for a file is in proportion to its length. FD_EIO (the system refuses), FD_EDATA (the
 * contents are wrong) and FD_ESHAPE (too many axes) name the file. Pictures are written by
 * stb_image_write, the only part that calls malloc. */

typedef struct { int nd, n[FD_MAXD]; fd_real *x; } fd_array;            /* x NULL: failed */
/* type: of the numbers as the file calls them ("F16", "<i8"), or NULL; not looked at by the
 * functions that save */
typedef struct { const char *name; int nd, n[FD_MAXD]; fd_real *x; const char *type; } fd_tensor;
typedef struct { const char *key, *value; } fd_meta;
/* other: entries of a file that hold no numbers of ours: x is NULL, type says why. They are not
 * saved. */
typedef struct {
    int count, metas;
    fd_tensor *tensor;
    fd_meta *meta;
    int others;
    fd_tensor *other;
} fd_tensors;
#ifndef FD_NO_STDIO
/* fd_npy_save -- .npy version 1, C order, '<f4' or '<f8' as fd_real is. */
int        fd_npy_save(fd_status *st, const char *path, int nd, const int n[], const fd_real *x);
/* fd_npy_load -- versions 1-3, either byte order and array order, dtypes b1, u/i 1-8, f2, f4, f8,
 * and c8, c16 by any name that numpy has for them: complex numbers come as a last axis of 2, real
 * and imaginary part. */
fd_array   fd_npy_load(fd_arena *a, const char *path);
/* fd_idx_load -- IDX (MNIST's), all six types, as stored (0..255 for bytes). A .gz gets an error
 * that says to gunzip it. */
fd_array   fd_idx_load(fd_arena *a, const char *path);
/* fd_load -- .npy or IDX, told apart by their first bytes. */
fd_array   fd_load(fd_arena *a, const char *path);
/* fd_tensors_save -- .safetensors, F32 or F64 as fd_real is, with metadata. */
int        fd_tensors_save(fd_status *st, const char *path, const fd_tensors *f);
/* fd_npz_save -- .npz as numpy.savez writes it, up to 4 GB; metadata are left out. */
int        fd_npz_save(fd_status *st, const char *path, const fd_tensors *f);
/* fd_tensors_load -- either, told apart by the first bytes: .safetensors of all its integers and
 * floats of 16 to 64 bits and C64 (a last axis of 2), or .npz, not compressed, of the dtypes of
 * fd_npy_load. Entries of other types (strings, objects, 8-bit floats), with more than 6 axes or,
 * in a zip, that are no .npy, are listed in `other`; a compressed .npy gets an error that names
 * it. */
fd_tensors fd_tensors_load(fd_arena *a, const char *path);
/* fd_tensor_find, fd_meta_find -- by name; NULL where there is none.
 * fd_tensor_need -- the same, but it is FD_EDATA with the name where the tensor is missing or holds
 * no numbers. */
const fd_tensor *fd_tensor_find(const fd_tensors *f, const char *name);
const fd_tensor *fd_tensor_need(fd_status *st, const char *where, const fd_tensors *f,
                                const char *name);
const char      *fd_meta_find(const fd_tensors *f, const char *key);
/* fd_png_save -- rgb [h][w][3] bytes. */
int        fd_png_save(fd_status *st, const char *path, int h, int w, const unsigned char *rgb);
/* fd_png_sheet -- `count` functions x [count][h][w], cols beside each other and row by row, values
 * lo..hi through a colour map, each pixel zoom x zoom, a gap of 2 * zoom between. Gaps, and places
 * of the last row without a function, are white. */
int        fd_png_sheet(fd_status *st, const char *path, int count, int cols, int h, int w,
                        const fd_real *x, double lo, double hi, int map, int zoom,
                        fd_arena scratch);
/* fd_text_save -- text as it is. fd_csv_save -- a header line and rows x cols numbers, %.9g. */
int        fd_text_save(fd_status *st, const char *path, const char *text);
int        fd_csv_save(fd_status *st, const char *path, int cols, const char *const name[],
                       int rows, const double *x);
/* fd_net_save -- weights, and with opt the averages, moments and step, the whole configuration, and
 * what the caller adds, in one .safetensors.
 * fd_net_load -- makes net and (opt not NULL) the optimiser again, bit for bit, *opt NULL where the
 * file has none, and gives back the rest. Files from before fd_arch had edges and a pad for each
 * axis give the networks that they were: FD_EDGES_PLAIN, one pad. */
int        fd_net_save(fd_status *st, const char *path, const fd_net *net, const fd_opt *opt,
                       const fd_tensors *more, fd_arena scratch);
fd_tensors fd_net_load(fd_arena *a, const char *path, fd_net **net, fd_opt **opt);
/* fd_net_restore -- the same into a network that is there, of the same configuration and parts; the
 * way to load one of fd_net_define. Where it fails the network stays as it was. */
fd_tensors fd_net_restore(fd_arena *a, const char *path, fd_net *net, fd_opt **opt);
/* fd_foreign -- what a file with weights of another program cannot tell; 0: as that program has it.
 * fd_foreign_kind tells the program by names and shapes; names may have a prefix ("model.").
 * fd_net_from makes its network with those weights; complex ones are real pairs, as fd_tensors_load
 * gives them. A tensor that is missing, holds no numbers, is left over or has another shape is
 * FD_EDATA and named; whole numbers that are left over (batches seen, positions) are passed over.
 * The output is that of the original to rounding, on grids where the original itself is consistent.
 *
 * The first release of the authors' FNO, 1-D to 3-D, has closed coordinates; time is a channel if
 * the inputs are one more than output and coordinates. Of neuraloperator before release 1 nothing
 * is appended to the input, and here coords and time say what its channels are. From release 1 on
 * coordinates are open, and before 2.0 an odd number of modes means others (version 1). Of all its
 * releases: Tucker and CP factors, separable weights, group norms, channel MLPs (from 0.3 on),
 * every kind of skip. Weights of more modes than are used (max_n_modes) look like any: modes
 * tells. */
enum {
    FD_FROM_NONE,
    FD_FROM_FNO,             /* fc0, conv0.weights1.., w0.., fc1, fc2 [FNO; KER; ML] */
    FD_FROM_NEURALOP_02,     /* fno_blocks.convs.weight.*.tensor, lifting.fc: half blocks */
    FD_FROM_NEURALOP_03,     /* the same with lifting.fcs: whole blocks */
    FD_FROM_NEURALOP,        /* fno_blocks.convs.*.weight.tensor, complex: releases 1 and 2 */
    FD_FROM_UVIT,            /* [U-ViT] without classes: square grid, heads 64 wide, tscale 999 */
    FD_FOREIGN
};
typedef struct {
    int act, coords, time;   /* FD_GELU.., FD_COORD_.., FD_TIME_NONE or FD_TIME_CHANNEL */
    int reversed;            /* 1: the last axis is the first coordinate, as in [FFM] */
    int version;             /* of neuraloperator, 1 or 2 */
    int norms;               /* groups of group norms; -1: instance norms, which have no weights */
    int skip, mix_skip;      /* what skips without weights are, fno_skip and channel_mlp_skip: 1:
                                the identity, 2: none; 0: an error */
    int modes[3];            /* n_modes, where the weights have more (max_n_modes); 0: all */
    double from[3], to[3];   /* ends of the coordinates of each axis; both 0: 0 and 1 */
    int heads, grid[3];      /* FD_FROM_UVIT */
    double tscale, pad[3];   /* pad: zeros behind each axis, as a part of it (two-sided p: 2 p) */
} fd_foreign;
int         fd_foreign_kind(const fd_tensors *f);
const char *fd_foreign_name(int kind);
fd_net     *fd_net_from(fd_arena *a, const fd_tensors *f, const fd_foreign *how);
#endif
/* fd_colour -- u in [0,1] through a colour map; magenta where u is NaN or the map unknown. */
enum { FD_GRAY, FD_GRAY_INVERSE, FD_VIRIDIS, FD_DIVERGING };
void fd_colour(int map, double u, unsigned char rgb[3]);

/* ---- 18. Metrics --------------------------------------------------------------------------------
 *
 * How far samples are from data. Each function returns NAN where it fails, or after a failure.
 *
 *     double d2 = fd_energy_distance(&s, m, samples, n, data); */

/* fd_spectrum -- e[j] = mean over functions of sum u_k^2 over modes with round(|k|) = j, |k| their
 * wavenumber (fd_wave), channels summed; e[bins]. [FFM code, util/eval.py] sums complex
 * coefficients and so measures phases and the grid. */
void   fd_spectrum(const fd_space *s, int b, const fd_real *x, int bins, double *e,
                   fd_arena scratch);
/* fd_energy_distance -- 2 E|X-Y| - E|X-X'| - E|Y-Y'|, L2 norms, unbiased. */
double fd_energy_distance(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y);
/* fd_assignment -- to [n]: which column each row of cost [n][n] gets, every column once, so that
 * the sum is least; returns the sum. With cost_ij = |x_i - y_j|^2 the sum over n is the squared W2
 * of two sets of n functions, and x_i with y_to(i) a coupling for training (of conditional pairs:
 * with the condition in the cost). Shortest augmenting paths [Jonker & Volgenant], n^3. FD_EDATA,
 * to untouched, for a cost that is not finite, or above DBL_MAX/4n. */
double fd_assignment(int n, const double *cost, int *to, fd_arena scratch);
/* fd_mmd2 -- unbiased squared MMD with kernel exp(-|x-y|^2/(2 bw^2)); bw 0: median heuristic. */
double fd_mmd2(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y, double bw,
               fd_arena scratch);
/* fd_sliced_w2 -- mean over proj random unit directions of the squared W2 of the projections. */
double fd_sliced_w2(const fd_space *s, fd_rng r, int proj, int m, const fd_real *x, int n,
                    const fd_real *y, fd_arena scratch);
/* fd_frechet -- |mean_x - mean_y|^2 + Tr(Sx + Sy - 2 (Sx Sy)^1/2) on the first `pcs` principal
 * components of y. */
double fd_frechet(const fd_space *s, int pcs, int m, const fd_real *x, int n, const fd_real *y,
                  fd_arena scratch);
/* fd_w2_modes -- the same with both covariances diagonal in the modes:
 * sum dM^2 + (sd_x - sd_y)^2. */
double fd_w2_modes(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y,
                   fd_arena scratch);
/* fd_crps -- continuous ranked probability score of an ensemble [m] against a truth, mean over
 * points. */
double fd_crps(const fd_space *s, int m, const fd_real *x, const fd_real *truth, fd_arena scratch);

/* ---- What the .c files share: not part of the interface ------------------------------------ */
#ifdef FD_IMPL
#include <assert.h>
#include <float.h>
#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* 16: float is float, only half precision is wider */
#if defined(FD_STRICT) && defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "FD_STRICT: float in a wider type: try -fexcess-precision=fast, or -msse2 -mfpmath=sse"
#endif

#define FD_PI 3.14159265358979323846

/* FD_ASSERT -- for what no argument can cause; bad arguments are recorded */
#ifdef NDEBUG
#define FD_ASSERT(c) ((void)0)
#else
#define FD_ASSERT(c) assert(c)
#endif

/* FD_PLAIN: of every kernel the plain loop that says what it computes; the fast body is left out */
#if defined(FD_PLAIN) && !defined(FD_SCALAR)
#define FD_SCALAR
#endif

/* --- Vectors ---
 * fd_vec is FD_W numbers side by side; + - * / act on each. Where the compiler has no vector types
 * FD_W is 1 and fd_vec is fd_real. No operation mixes lanes, so no result depends on FD_W; the end
 * of a row goes through the same code by vload_n and vstore_n, so none depends on its place
 * either. */
#if defined(FD_SCALAR) || !defined(__GNUC__)
#define FD_BYTES 0
#elif defined(__AVX512F__)
#define FD_BYTES 64
#elif defined(__AVX__)
#define FD_BYTES 32
#elif defined(__SSE2__) || defined(__ARM_NEON) || defined(__ALTIVEC__)
#define FD_BYTES 16
#else
#define FD_BYTES 0
#endif
#if FD_BYTES
#ifdef FD_DOUBLE
#define FD_W (FD_BYTES / 8)
typedef int64_t fd_lanes __attribute__((vector_size(FD_BYTES)));
#else
#define FD_W (FD_BYTES / 4)
typedef int32_t fd_lanes __attribute__((vector_size(FD_BYTES)));
#endif
#define vmask(c)     ((fd_lanes)(c))          /* of a comparison: all ones or 0 in each lane */
typedef fd_real fd_vec  __attribute__((vector_size(FD_BYTES)));
typedef fd_real fd_vecu __attribute__((vector_size(FD_BYTES), aligned(sizeof(fd_real)), may_alias));
#define vload(p)     ((fd_vec)*(const fd_vecu *)(p))
#define vstore(p, v) (*(fd_vecu *)(p) = (fd_vecu)(v))
#else
#define FD_W 1
#ifdef FD_DOUBLE
typedef int64_t fd_lanes;
#else
typedef int32_t fd_lanes;
#endif
#define vmask(c)     (-(fd_lanes)(c))
typedef fd_real fd_vec;
#define vload(p)     (*(p))
#define vstore(p, v) (*(p) = (v))
#endif
/* FD_SMALL: loops in place of kernels for each size; what FD_LESS leaves out is not linked */
#ifdef FD_SMALL
enum { FD_LESS = 1 };
#else
enum { FD_LESS = 0 };
#endif
/* what kernels ask of the compiler; it changes no result. clang unrolls without being told. */
#ifdef __GNUC__
#define FD_INLINE static inline __attribute__((always_inline))
#else
#define FD_INLINE static inline
#endif
#if defined(__GNUC__) && !defined(__clang__) && !defined(FD_SMALL) && !defined(FD_PLAIN)
#define FD_UNROLL _Pragma("GCC unroll 16")
#else
#define FD_UNROLL
#endif
/* The line of memory at p is wanted soon, to be read or written. near: 3 in the first cache, 2 in
 * the second. */
#ifdef __GNUC__
#define vfetch(p, write, near) __builtin_prefetch((p), (write), (near))
#else
#define vfetch(p, write, near) ((void)0)
#endif
/* the first n < FD_W numbers, the other lanes 0 */
#if FD_BYTES
static inline fd_vec vload_n(const fd_real *p, int n)
{
    fd_vec v;
    memset(&v, 0, sizeof v);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}
static inline void vstore_n(fd_real *p, fd_vec v, int n) { memcpy(p, &v, (size_t)n * sizeof *p); }
#else
static inline fd_vec vload_n(const fd_real *p, int n) { return n > 0 ? *p : 0; }
static inline void vstore_n(fd_real *p, fd_vec v, int n) { if (n > 0) *p = v; }
#endif

/* FD_SELECT(how, name, V, M) -- how V name(M m, V a, V b) {..}: m ? a : b lane by lane, m all ones
 * or 0 in each. M is signed: gcc then makes it a blend. */
#define FD_SELECT(how, name, V, M)        \
    how V name(M m, V a, V b)             \
    {                                     \
        M x_, y_;                         \
        memcpy(&x_, &a, sizeof x_);       \
        memcpy(&y_, &b, sizeof y_);       \
        x_ = (x_ & m) | (y_ & ~m);        \
        memcpy(&a, &x_, sizeof a);        \
        return a;                         \
    }

/* lane by lane: m ? a : b; the larger of a and b, a where one is NaN */
FD_SELECT(FD_INLINE, vselect, fd_vec, fd_lanes)
FD_INLINE fd_vec vmax(fd_vec a, fd_vec b) { return vselect(vmask(a < b), b, a); }

/* vmix(a, b, list) -- lanes of a and b, which count on from those of a, in the order of the list.
 * Lists come in pairs:
 *   V_NEAR  of each 16 bytes the first halves in turn, and the second ones; these are cheap
 *   V_HALF  the first halves of a and b, and the second ones
 *   V_PART  their parts of 16 bytes with even numbers, and with odd ones */
#if FD_BYTES
#ifdef __clang__
#define vmix(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define vmix(a, b, ...) __builtin_shuffle(a, b, (fd_lanes){ __VA_ARGS__ })
#endif
#if FD_W == 16
#define V_NEAR0 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define V_NEAR1 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define V_HALF0 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define V_HALF1 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define V_PART0 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define V_PART1 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#elif FD_W == 8 && FD_BYTES == 64
#define V_NEAR0 0, 8, 2, 10, 4, 12, 6, 14
#define V_NEAR1 1, 9, 3, 11, 5, 13, 7, 15
#define V_HALF0 0, 1, 2, 3, 8, 9, 10, 11
#define V_HALF1 4, 5, 6, 7, 12, 13, 14, 15
#define V_PART0 0, 1, 4, 5, 8, 9, 12, 13
#define V_PART1 2, 3, 6, 7, 10, 11, 14, 15
#elif FD_W == 8
#define V_NEAR0 0, 8, 1, 9, 4, 12, 5, 13
#define V_NEAR1 2, 10, 3, 11, 6, 14, 7, 15
#define V_HALF0 0, 1, 2, 3, 8, 9, 10, 11
#define V_HALF1 4, 5, 6, 7, 12, 13, 14, 15
#elif FD_W == 4 && FD_BYTES == 32
#define V_NEAR0 0, 4, 2, 6
#define V_NEAR1 1, 5, 3, 7
#define V_HALF0 0, 1, 4, 5
#define V_HALF1 2, 3, 6, 7
#elif FD_W == 4
#define V_NEAR0 0, 4, 1, 5
#define V_NEAR1 2, 6, 3, 7
#else
#define V_NEAR0 0, 2
#define V_NEAR1 1, 3
#endif
#endif
/* vturn -- v[i] lane j becomes v[j] lane i. A round is for one bit of i, of value s, and one of j:
 * of each pair v[i], v[i + s] the first gets the lanes where the bit of j is 0, the second those
 * where it is 1, so that the bits change places. There are log2 FD_W rounds of FD_W shuffles
 * each. */
#define V_ROUND(s, to0, to1)                              \
    FD_UNROLL                                             \
    for (int i_ = 0; i_ < FD_W; i_++)                     \
        if (!(i_ & (s))) {                                \
            const fd_vec x_ = v[i_], y_ = v[i_ + (s)];    \
            v[i_] = vmix(x_, y_, to0);                    \
            v[i_ + (s)] = vmix(x_, y_, to1);              \
        }
FD_INLINE void vturn(fd_vec v[FD_W])
{
#if FD_BYTES && !defined(FD_DOUBLE)
    V_ROUND(2, V_NEAR0, V_NEAR1)
#endif
#if FD_BYTES
    V_ROUND(1, V_NEAR0, V_NEAR1)
#endif
#if FD_BYTES == 64
    V_ROUND(FD_W / 4, V_HALF0, V_HALF1)
    V_ROUND(FD_W / 2, V_PART0, V_PART1)
#elif FD_BYTES == 32
    V_ROUND(FD_W / 2, V_HALF0, V_HALF1)
#endif
#if FD_BYTES == 64                            /* the last two bits came the other way round */
    FD_UNROLL
    for (int i = FD_W / 4; i < FD_W / 2; i++) {
        const fd_vec x = v[i];
        v[i] = v[i + FD_W / 4];
        v[i + FD_W / 4] = x;
    }
#endif
    (void)v;
}

/* --- Sums in a fixed order: FD_LANES running sums, whatever vectors hold, added by halves --- */
enum { FD_LANES = 16 };
static inline double lanes_sum(double s[FD_LANES])
{
    for (int l = 0; l < 8; l++) s[l] += s[l + 8];
    for (int l = 0; l < 4; l++) s[l] += s[l + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* --- Transforms: bytes of scratch that fd_fft_run takes, on at most that many threads --- */
size_t fd_fft_room(const fd_fft *p, ptrdiff_t lines, ptrdiff_t stride, int threads);

/* --- Exact arithmetic ---
 * For functions whose bits must not depend on whether the target has FMA. FD_NOFMA_MIX_FN is for
 * those that have chains for several vectors side by side, too, which gcc mixes only when told
 * where there are 16 registers. */
#if defined(__clang__)
#define FD_NOFMA_FN
#define FD_NOFMA _Pragma("clang fp contract(off)")
#elif defined(__GNUC__)
#define FD_NOFMA_FN __attribute__((optimize("fp-contract=off")))
#define FD_NOFMA
#else
#define FD_NOFMA_FN
#define FD_NOFMA
#endif
#if FD_BYTES == 32 && !defined(__clang__)
#define FD_NOFMA_MIX_FN \
    __attribute__((optimize("fp-contract=off", "schedule-insns", "sched-pressure")))
#else
#define FD_NOFMA_MIX_FN FD_NOFMA_FN
#endif

/* --- Threads ---
 * Work is split over independent outputs only; allocate before the loop. Within a parallel region,
 * ours or the caller's, everything runs on the thread that it is on. FD_PARALLEL_IF(c): where c
 * says that it pays. */
#ifdef _OPENMP
#define FD_PARALLEL _Pragma("omp parallel for schedule(static) if (!omp_in_parallel())")
#define FD_PRAGMA(x) _Pragma(#x)
#define FD_PARALLEL_IF(c) \
    FD_PRAGMA(omp parallel for schedule(static) if ((c) && !omp_in_parallel()))
static inline int threads_most(void) { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
static inline int threads_this(void) { return omp_get_thread_num(); }
#else
#define FD_PARALLEL
#define FD_PARALLEL_IF(c)
static inline int threads_most(void) { return 1; }
static inline int threads_this(void) { return 0; }
#endif
#endif /* FD_IMPL */

#ifdef __cplusplus
}
#endif
#endif
