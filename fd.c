/* fd.c -- the ground that the rest stands on, lowest layer first:
 *
 *   build and memory    how the library was compiled; arenas and failures
 *   random streams      Philox, uniforms, normals, permutations
 *   linear algebra      matrix products, Cholesky, symmetric eigenproblem
 *   spaces              grids, modes, resampling
 *   covariances         eigenvalues, powers, draws
 *   files               .npy, IDX, .safetensors, .png, .csv
 *   metrics             spectra and distances between sets of functions
 *
 * Notation: m, n, k extents of a product; b samples, c channels; lam eigenvalues of a covariance.
 * Arrays are row-major. Sums that decide a result run in a fixed order: over 16 virtual lanes or in
 * plain double, so that neither vector width nor threads show in it. */
#if !defined(FD_NO_STDIO) && (defined(__unix__) || defined(__APPLE__))
#define FILE_POSIX                     /* open, fsync: see file_begin */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#endif
#define FD_IMPL
#include "fd.h"

/* what the kernels ask of the compiler: none of it changes a result */
#if defined(__GNUC__)
#define CORE_COLD __attribute__((noinline))
#else
#define CORE_COLD
#endif
#if defined(FD_SMALL)
#define CORE_UNROLL
#elif defined(__clang__)
#define CORE_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define CORE_UNROLL _Pragma("GCC unroll 16")
#else
#define CORE_UNROLL
#endif

/* ---- Build and memory --------------------------------------------------------------------------
 *
 * An arena is a pair of pointers into the caller's buffer; fd_take in fd.h moves the first one. */

#define CORE_TEXT_(x) #x
#define CORE_TEXT(x)  CORE_TEXT_(x)

const char *fd_build(void)
{
    return
#ifdef FD_DOUBLE
        "double"
#else
        "float"
#endif
#if FD_BYTES
        ", vectors of " CORE_TEXT(FD_BYTES) " bytes"
#elif defined(FD_PLAIN)
        ", plain loops"
#else
        ", no vectors"
#endif
#ifdef _OPENMP
        ", OpenMP"
#endif
#ifdef FD_STRICT
        ", strict"
#endif
        ;
}

/* bytes to the next multiple of 64 */
static size_t core_pad(const void *mem) { return (size_t)(0 - (uintptr_t)mem) & 63; }

fd_arena fd_arena_over(void *mem, size_t size, fd_status *st)
{
    fd_arena a = { mem, mem, st };
    memset(st, 0, sizeof *st);
    const size_t pad = core_pad(mem);
    if (mem && size > pad) {               /* the buffer of a failed malloc is an empty arena */
        a.beg += pad;
        a.end = a.beg + (size - pad);
        st->size = st->low = size - pad;
    }
    return a;
}

size_t fd_need(const fd_status *st, const void *mem)
{
    const size_t used = st->size - st->low;
    return used ? used + (mem ? core_pad(mem) : 63) : 0;
}

typedef struct { char *at, *end; } core_text;      /* room for *end = 0 is kept */

static void core_put(core_text *t, const char *s)
{
    while (s && *s && t->at < t->end) *t->at++ = *s++;
}

/* text from elsewhere, as fd_escape has it; nothing of a sign that does not fit whole */
static void core_put_safe(core_text *t, const char *s)
{
    static const char hex[] = "0123456789abcdef", from[] = "\n\t\r", to[] = "ntr";
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];
        const int high = c == 0xc2 && next >= 0x80 && next < 0xa0;           /* U+0080 to U+009f */
        const char *k = strchr(from, *s);
        char e[9] = { *s };
        if (k) e[0] = '\\', e[1] = to[k - from];
        else if (high || c < 0x20 || c == 0x7f) {
            const unsigned v = high ? next : c;
            e[0] = '\\'; e[1] = 'x'; e[2] = hex[v >> 4]; e[3] = hex[v & 15];
        }
        if ((ptrdiff_t)strlen(e) > t->end - t->at) break;
        core_put(t, e);
        s += high;
    }
}

char *fd_escape(const char *s, char *buf, size_t size)
{
    if (!size) return buf;
    core_text t = { buf, buf + size - 1 };
    core_put_safe(&t, s);
    *t.at = 0;
    return buf;
}

static void core_put_int(core_text *t, long long v)
{
    char digits[24], *p = digits + sizeof digits - 1;
    unsigned long long u = v < 0 ? 0ULL - (unsigned long long)v : (unsigned long long)v;
    *p = 0;
    do *--p = (char)('0' + u % 10); while (u /= 10);
    if (v < 0) *--p = '-';
    core_put(t, p);
}

int fd_explain(const fd_status *st, char *buf, size_t size)
{
    if (!size) return st->code;
    core_text t = { buf, buf + size - 1 };
    if (st->code) {
        core_put(&t, st->where);
        core_put(&t, ": ");
        core_put(&t, st->what);
        for (int i = 0; i < st->nv; i++) {
            core_put(&t, i ? ", " : ": ");
            core_put_int(&t, st->v[i]);
        }
        if (st->name[0]) {
            core_put(&t, ": ");
            core_put_safe(&t, st->name);
        }
    }
    *t.at = 0;
    return st->code;
}

/* ---- Random streams ----------------------------------------------------------------------------
 *
 * Philox4x32-10 [Random123 code, include/Random123/philox.h]: with multipliers M0, M1 and hi:lo the
 * 64-bit product, ten rounds of
 *   (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0))
 *
 * and after each k0 += W0, k1 += W1. The four words of a block make two pairs of normals,
 * sqrt(-2 log u) (cos, sin)(2 pi w), u from word 0 or 1 and w from word 2 or 3 [Box & Muller].
 *
 * That is done in float, with rounded sums, products, quotients, roots and conversions of integers
 * only, which IEEE 754 defines to the last bit, and fused operations are switched off, so the same
 * bits come out of every compiler, vector width and build (not from clang with -ffp-contract=fast,
 * which fuses whatever it is told). u keeps its relative precision at both ends, so that neither
 * the tail, up to 6.76, nor the radii near 0 are coarse; log, cos and sin are within 3e-7.
 *
 * Eight blocks, with words ctr[0] + 0..7, are a group, whatever the vectors hold: 32 normals in the
 * order that fills vectors, 16 cosines (block 0 pair 0, block 0 pair 1, block 1 pair 0, ..), 16
 * sines. */

#if FD_BYTES
typedef uint32_t rng_w __attribute__((vector_size(FD_BYTES)));
typedef int32_t  rng_i __attribute__((vector_size(FD_BYTES)));
typedef float    rng_f __attribute__((vector_size(FD_BYTES)));
#define rng_float(i)  __builtin_convertvector((rng_i)(i), rng_f)
#define rng_neg(i)    ((rng_i)(i) < 0)                       /* a mask: all ones where i < 0 */
#else
typedef uint32_t rng_w;
typedef int32_t  rng_i;
typedef float    rng_f;
#define rng_float(i)  ((float)(int32_t)(i))
#define rng_neg(i)    (-(int32_t)((int32_t)(i) < 0))
#endif
typedef struct { uint32_t c[4]; } rng_ctr;
enum { RNG_GROUPS = 8 };                                     /* groups at a time, at most */

#define RNG_M0 0xD2511F53u                                   /* as in the formula above */
#define RNG_M1 0xCD9E8D57u
#define RNG_W0 0x9E3779B9u
#define RNG_W1 0xBB67AE85u

void fd_philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4])
{
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++, k0 += RNG_W0, k1 += RNG_W1) {
        const uint64_t p = (uint64_t)RNG_M0 * c0, q = (uint64_t)RNG_M1 * c2;
        c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)q;
        c3 = (uint32_t)p;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

FD_NOFMA_FN FD_INLINE rng_w rng_bits(rng_f x) { rng_w u; memcpy(&u, &x, sizeof u); return u; }
FD_NOFMA_FN FD_INLINE rng_f rng_real(rng_w u) { rng_f x; memcpy(&x, &u, sizeof x); return x; }
FD_SELECT(FD_NOFMA_FN FD_INLINE, rng_sel, rng_f, rng_i)

/* -2 log u, u = (w + 1/2) 2^-32. With v = min(u, 1 - u) and u = 2^n (1 + f),
 * sqrt 1/2 <= 1 + f < sqrt 2 (so that f = -v where n = 0), it is log(1 + f) =
 * f - f^2/2 + f^3 (1/3 - f/4 + ..); n log 2 is added in two parts. */
FD_NOFMA_FN FD_INLINE rng_f rng_log(rng_w w)
{
    FD_NOFMA
    const rng_i upper = rng_neg(w);
    const rng_f v = rng_float(w ^ (rng_w)upper) * 0x1p-32f + 0x1p-33f;
    const rng_w k = rng_bits(rng_sel(upper, 1.0f - v, v)) - 0x3f3504f3u;
    const rng_w e = (rng_w)((rng_i)k >> 23);
    const rng_f n = rng_float(e), m = rng_real((k & 0x007fffffu) + 0x3f3504f3u);
    const rng_f f = rng_sel(rng_neg(e), m - 1.0f, -v), y = f * f;
    rng_f q = (0.298295736f - f * 0.285349518f) + y * 0.174007192f;
    q = (0.399261236f - f * 0.331551731f) + y * q;
    q = (0.666678190f - f * 0.500026762f) + y * q;
    return ((y - (f * y) * q - n * 0.00152873586f) - (f + f)) - n * 1.384765625f;
}

/* r cos and r sin of 2 pi w 2^-32 = pi/2 (q + t), q whole, |t| <= 1/2 */
FD_NOFMA_FN FD_INLINE void rng_turn(rng_w w, rng_f r, rng_f *cosine, rng_f *sine)
{
    FD_NOFMA
    const rng_w q = w + 0x20000000u;                              /* in the first two bits */
    const rng_f t = rng_float(w << 2) * 0x1p-32f, y = t * t, z = y * y;
    const rng_f s = t * ((1.57079637f - y * 0.645966589f)
                       + z * (0.0797117800f - y * 0.00468387362f));
    const rng_f c = (1.0f - y * 1.23370051f)
                  + z * ((0.253668517f - y * 0.0208552405f) + z * 0.000893507153f);
    const rng_i odd = rng_neg(q << 1);                            /* cos and sin change places */
    *cosine = r * rng_real(rng_bits(rng_sel(odd, s, c)) ^ ((q + 0x40000000u) & 0x80000000u));
    *sine   = r * rng_real(rng_bits(rng_sel(odd, c, s)) ^ (q & 0x80000000u));
}

/* rng_normals -- the normals of up to RNG_GROUPS groups of eight blocks, ctr the counter of the
 * first block of each: z [groups][2][8][2], pair h of block b at [g][0][b][h] its cosine, at
 * [g][1][b][h] its sine. */
#ifdef FD_PLAIN
FD_NOFMA_FN static void rng_normals(fd_rng r, int groups, const rng_ctr *ctr, float *z)
{
    for (int b = 0; b < 8 * groups; b++) {
        rng_ctr at = ctr[b / 8];
        uint32_t o[4];
        at.c[0] += (uint32_t)(b % 8);
        fd_philox(r.key, at.c, o);
        for (int h = 0; h < 2; h++) {
            float *to = z + b / 8 * 32 + b % 8 * 2 + h;
            rng_turn(o[2 + h], sqrtf(rng_log(o[h])), to, to + 16);
        }
    }
}
#else
/* The same in four loops over all blocks: Philox, logarithms, roots, turns.
 *
 * Words are kept in 64-bit lanes, ready for the product; for AVX2 they lie side by side. gcc makes
 * vectors of the product only where there is one for 64 bits, as it does not see that the upper
 * halves are 0. */
#if FD_BYTES == 32 && defined(__AVX2__)
enum { RNG_B = 8 };
typedef struct { rng_w w[2]; } rng_u;
#elif FD_BYTES && (defined(__AVX512DQ__) || defined(__clang__))
enum { RNG_B = FD_BYTES / 8 };
typedef uint64_t rng_u __attribute__((vector_size(FD_BYTES)));
#else
enum { RNG_B = 1 };
typedef uint64_t rng_u;
#endif
enum { RNG_L = FD_BYTES ? FD_BYTES / 4 : 1,                  /* lanes of rng_f */
       RNG_STEP = FD_BYTES == 32 ? 2 : 4,                    /* chains side by side: of Philox, */
       RNG_LOGS = FD_BYTES == 32 ? 4 : 1 };                  /* of logarithms */

#define RNG_LOW UINT64_C(0xffffffff)
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define RNG_JOIN(first, second) ((first) << 32 | (second))   /* as they lie in memory */
#else
#define RNG_JOIN(first, second) ((first) | (second) << 32)
#endif

/* a, b: words 0 and 1, and words 2 and 3, of RNG_B blocks from each of the counters v ..
 * v + n - 1 on, which count steps of RNG_B blocks. */
#if FD_BYTES == 32 && defined(__AVX2__)
/* The product of 32 bits takes every second lane. What it gives for even and odd lanes comes
 * together by a shuffle that changes places in each four, (0 2 1 3), and so goes back in the next
 * round: c1 and c3, whose words are products that stayed in place, are in the order that c0 and
 * c2 get. gcc does not see its product in x * (uint64_t)m. */
typedef uint64_t rng_d __attribute__((vector_size(32)));
#ifdef __clang__
#define RNG_EVEN(x, m) (((x) & RNG_LOW) * (uint64_t)(m))
#define RNG_MIX(V, a, b, ...) __builtin_shufflevector((V)(a), (V)(b), __VA_ARGS__)
#else
#define RNG_EVEN(x, m) \
    ((rng_d)__builtin_ia32_pmuludq256((rng_i)(x), (rng_i)((rng_d){ 0 } + (uint64_t)(m))))
#define RNG_MIX(V, a, b, ...) __builtin_shuffle((V)(a), (V)(b), (rng_w){ __VA_ARGS__ })
#endif
#define RNG_HIGH(x, m)                                                                       \
    ((rng_w)RNG_MIX(rng_f, RNG_EVEN((rng_d)(x), m), RNG_EVEN((rng_d)(x) >> 32, m),           \
                    1, 3, 9, 11, 5, 7, 13, 15))

FD_INLINE void rng_words(int n, fd_rng r, const rng_ctr *ctr, int v, rng_u *a, rng_u *b)
{
    static const uint32_t lane[8] = { 0, 1, 4, 5, 2, 3, 6, 7 };
    rng_w c0[RNG_STEP], c1[RNG_STEP], c2[RNG_STEP], c3[RNG_STEP];
    uint32_t k0 = r.key[0], k1 = r.key[1];
    CORE_UNROLL for (int g = 0; g < n; g++) {
        const uint32_t *c = ctr[v + g].c;
        rng_w step;
        memcpy(&step, lane, sizeof step);
        c0[g] = step + c[0];
        c1[g] = (step & 0) + c[1];
        c2[g] = (step & 0) + c[2];
        c3[g] = (step & 0) + c[3];
    }
    for (int round = 0; round < 10; round++, k0 += RNG_W0, k1 += RNG_W1)
        CORE_UNROLL for (int g = 0; g < n; g++) {
            const rng_w p = RNG_HIGH(c0[g], RNG_M0), q = RNG_HIGH(c2[g], RNG_M1);
            const rng_w s = c0[g] * RNG_M0, t = c2[g] * RNG_M1;
            c0[g] = q ^ (c1[g] ^ k0);
            c2[g] = p ^ (c3[g] ^ k1);
            c1[g] = t;
            c3[g] = s;
        }
    CORE_UNROLL for (int g = 0; g < n; g++) {
        a[v + g].w[0] = RNG_MIX(rng_w, c0[g], c1[g], 0, 8, 1, 10, 4, 12, 5, 14);
        a[v + g].w[1] = RNG_MIX(rng_w, c0[g], c1[g], 2, 9, 3, 11, 6, 13, 7, 15);
        b[v + g].w[0] = RNG_MIX(rng_w, c2[g], c3[g], 0, 8, 1, 10, 4, 12, 5, 14);
        b[v + g].w[1] = RNG_MIX(rng_w, c2[g], c3[g], 2, 9, 3, 11, 6, 13, 7, 15);
    }
}
#else
FD_INLINE void rng_words(int n, fd_rng r, const rng_ctr *ctr, int v, rng_u *a, rng_u *b)
{
    static const uint64_t lane[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    rng_u c0[RNG_STEP], c1[RNG_STEP], c2[RNG_STEP], c3[RNG_STEP];
    uint32_t k0 = r.key[0], k1 = r.key[1];
    CORE_UNROLL for (int g = 0; g < n; g++) {
        const uint32_t *c = ctr[(v + g) * RNG_B / 8].c;
        rng_u step;
        memcpy(&step, lane, sizeof step);
        c0[g] = (step + (uint64_t)(c[0] + (uint32_t)((v + g) * RNG_B % 8))) & RNG_LOW;
        c1[g] = (step & 0) + (uint64_t)c[1];
        c2[g] = (step & 0) + (uint64_t)c[2];
        c3[g] = (step & 0) + (uint64_t)c[3];
    }
    for (int round = 0; round < 10; round++, k0 += RNG_W0, k1 += RNG_W1)
        CORE_UNROLL for (int g = 0; g < n; g++) {
            const rng_u p = c0[g] * (uint64_t)RNG_M0, q = c2[g] * (uint64_t)RNG_M1;
            c0[g] = (q >> 32) ^ c1[g] ^ (uint64_t)k0;
            c2[g] = (p >> 32) ^ c3[g] ^ (uint64_t)k1;
            c1[g] = q & RNG_LOW;
            c3[g] = p & RNG_LOW;
        }
    CORE_UNROLL for (int g = 0; g < n; g++) {
        a[v + g] = RNG_JOIN(c0[g], c1[g]);
        b[v + g] = RNG_JOIN(c2[g], c3[g]);
    }
}
#endif

FD_NOFMA_MIX_FN static void rng_normals(fd_rng r, int groups, const rng_ctr *ctr, float *z)
{
    union {
        rng_u u[RNG_GROUPS * 8 / RNG_B];
        rng_w w[RNG_GROUPS * 16 / RNG_L];
        rng_f f[RNG_GROUPS * 16 / RNG_L];
        float x[RNG_GROUPS * 16];
    } a, b;
    const int n = groups * 16 / RNG_L;
    int v = 0, l = 0;
    for (; v + RNG_STEP <= groups * 8 / RNG_B; v += RNG_STEP)
        rng_words(RNG_STEP, r, ctr, v, a.u, b.u);
    for (; v < groups * 8 / RNG_B; v++) rng_words(1, r, ctr, v, a.u, b.u);
    for (; l + RNG_LOGS <= n; l += RNG_LOGS)
        CORE_UNROLL for (int i = l; i < l + RNG_LOGS; i++) a.f[i] = rng_log(a.w[i]);
    for (; l < n; l++) a.f[l] = rng_log(a.w[l]);
    for (int i = 0; i < groups * 16; i++) a.x[i] = sqrtf(a.x[i]);
    for (int i = 0; i < n; i++) {
        float *to = z + i * RNG_L / 16 * 32 + i * RNG_L % 16;
        rng_f c, s;
        rng_turn(b.w[i], a.f[i], &c, &s);
        memcpy(to, &c, sizeof c);
        memcpy(to + 16, &s, sizeof s);
    }
}
#endif

/* Word 3 of a counter holds what the block is for, so that keys, uniforms, normals and
 * integers of one stream never share a block */
enum { RNG_SEED = 's', RNG_SUB = 'k', RNG_UNIFORM = 'u', RNG_NORMAL = 'n', RNG_INDEX = 'i' };

static void rng_block(fd_rng r, uint64_t i, uint32_t use, uint32_t out[4])
{
    const uint32_t ctr[4] = { (uint32_t)i, (uint32_t)(i >> 32), 0, use };
    fd_philox(r.key, ctr, out);
}

fd_rng fd_seed(uint64_t seed)
{
    const fd_rng none = { { 0, 0 } };
    uint32_t o[4];
    rng_block(none, seed, RNG_SEED, o);
    return (fd_rng){ { o[0], o[1] } };
}

fd_rng fd_stream(fd_rng r, uint32_t purpose, uint32_t i)
{
    uint32_t o[4];
    rng_block(r, (uint64_t)i << 32 | purpose, RNG_SUB, o);
    return (fd_rng){ { o[0], o[1] } };
}

void fd_normal4(fd_rng r, const uint32_t ctr[4], float z[4])
{
    const rng_ctr one = { { ctr[0], ctr[1], ctr[2], ctr[3] } };
    float all[32];
    rng_normals(r, 1, &one, all);
    for (int j = 0; j < 4; j++) z[j] = all[j / 2 * 16 + j % 2];
}

void fd_uniform(fd_rng r, ptrdiff_t n, fd_real *x)
{
    const fd_real below = (fd_real)(1 - (sizeof(fd_real) == 4 ? 0x1p-24 : 0x1p-53));
    for (ptrdiff_t i = 0; i < n; i += 2) {
        uint32_t o[4];
        rng_block(r, (uint64_t)i / 2, RNG_UNIFORM, o);
        for (int h = 0; h < 2 && i + h < n; h++) {
            const uint64_t w = (uint64_t)o[2 * h] << 32 | o[2 * h + 1];
            const double u = ((double)(w >> 11) + 0.5) * 0x1p-53;
            x[i + h] = (fd_real)u < 1 ? (fd_real)u : below;
        }
    }
}

/* n normals from group `first` on */
static void rng_fill(fd_rng r, uint64_t first, ptrdiff_t n, fd_real *x)
{
    float z[32 * RNG_GROUPS];
    for (ptrdiff_t i = 0; i < n; i += 32 * RNG_GROUPS) {
        const ptrdiff_t k = n - i < 32 * RNG_GROUPS ? n - i : 32 * RNG_GROUPS;
        rng_ctr ctr[RNG_GROUPS];
        for (int g = 0; g < RNG_GROUPS; g++) {
            const uint64_t block = 8 * (first + (uint64_t)(i / 32 + g));
            ctr[g] = (rng_ctr){ { (uint32_t)block, (uint32_t)(block >> 32), 0, RNG_NORMAL } };
        }
        rng_normals(r, (int)(k + 31) / 32, ctr, z);
        for (ptrdiff_t j = 0; j < k; j++) x[i + j] = (fd_real)z[j];
    }
}

void fd_normal(fd_rng r, ptrdiff_t n, fd_real *x)
{
    enum { PART = 1 << 14 };                 /* numbers to a thread at a time: some 10 us */
    const ptrdiff_t parts = (n + PART - 1) / PART;
    FD_PARALLEL_IF(parts > 1)
    for (ptrdiff_t p = 0; p < parts; p++)
        rng_fill(r, (uint64_t)p * (PART / 32), n - p * PART < PART ? n - p * PART : PART,
                 x + p * PART);
}

int fd_index(fd_rng r, uint64_t i, int n)
{
    uint32_t o[4];
    rng_block(r, i / 2, RNG_INDEX, o);
    const uint32_t *w = o + 2 * (i & 1);
    return (int)(((uint64_t)w[0] * (uint32_t)n + ((uint64_t)w[1] * (uint32_t)n >> 32)) >> 32);
}                                                        /* high word of (w0 2^32 + w1) n 2^-32 */

void fd_perm(fd_rng r, int n, int *p)
{
    for (int i = 0; i < n; i++) p[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int j = fd_index(r, (uint64_t)i, i + 1), t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}

/* ---- Linear algebra ----------------------------------------------------------------------------
 *
 * Products C = alpha op(A) op(B) + beta C; op(A) is m x k, op(B) k x n. Every entry of C is a
 * chain over p = 0, 1, .. that is cut after MAT_KC terms and, where k is long, into slabs: both
 * from k alone. So a product has the same bits however its rows and columns are cut up, which is
 * how threads and batches cut it. */

enum { MAT_KC = 1024 / (int)sizeof(fd_real) };

typedef struct {                       /* a product, checked */
    int ta, tb, m, n, k;
    const fd_real *A, *B;
    ptrdiff_t lda, ldb, ldc, sa, sb;   /* sa, sb: to the operands of the next product, or 0 */
    fd_real alpha;
    int add;                           /* C is added to; else it is set */
    fd_real *C;
} mat_job;

/* C = beta C, where that is not left to the sum, which sets C if beta = 0 */
static void mat_scale(int m, int n, double beta, int set, fd_real *C, ptrdiff_t ldc)
{
    if (beta == 0 && !set) return;
    for (int i = 0; beta != 1 && i < m; i++)
        for (int j = 0; j < n; j++)
            C[i * ldc + j] = beta == 0 ? 0 : (fd_real)beta * C[i * ldc + j];
}

/* mat_run -- one product; its entries are set where beta = 0, and C is then not read.
 * mat_batch -- `count` of them, C of each sc after the one before. */
#ifdef FD_PLAIN
static fd_real mat_a(const mat_job *g, int i, int p)
{
    return g->ta ? g->A[p * g->lda + i] : g->A[i * g->lda + p];
}
static fd_real mat_b(const mat_job *g, int p, int j)
{
    return g->alpha * (g->tb ? g->B[j * g->ldb + p] : g->B[p * g->ldb + j]);
}

static void mat_run(const mat_job *g, double beta, fd_arena scratch)
{
    (void)scratch;
    for (int i = 0; i < g->m; i++)
        for (int j = 0; j < g->n; j++) {
            fd_real *c = g->C + i * g->ldc + j, sum = g->add ? (fd_real)beta * *c : 0;
            for (int q = 0; q < g->k; q += MAT_KC) {  /* a chain's rounding grows like its root */
                fd_real part = 0;
                for (int p = q; p < g->k && p < q + MAT_KC; p++)
                    part += mat_a(g, i, p) * mat_b(g, p, j);
                sum += part;
            }
            *c = sum;
        }
}

static void mat_batch(const mat_job *g, int count, ptrdiff_t sc, double beta, fd_arena scratch)
{
    mat_job one = *g;
    for (; count-- > 0; one.A += g->sa, one.B += g->sb, one.C += sc) mat_run(&one, beta, scratch);
}
#else
/* A tile of C, up to MAT_MR rows of MAT_NV vectors, is kept in registers while the kernel adds up
 * its outer products over k:
 *
 *   c[i][j] += a[i][p] b[p][j]     one vector of b, one number of a spread over the lanes
 *
 * A panel of A stays in L1 while it passes over B in L2. Where vectors and caches are small and B
 * is too wide for that, or A is packed anyway, it is the other way round: MAT_TURN panels of A
 * stay in L2 while they pass over one panel of B.
 *
 * op(A) is read in place where it lies densely. Rows with p contiguous that are further apart than
 * MAT_ROW, so that some could fall on the same set of the cache, are copied to a buffer with
 * MAT_PITCH between them. Columns of op(B) are copied to panels of MAT_NR, zeros at the end,
 * unless the kernel can read them in place. */

#if defined(FD_SMALL)
#define MAT_MOST 1
#define MAT_TOGETHER 1                                   /* little memory, and no caches */
#elif FD_BYTES == 64
#define MAT_MOST 14
#define MAT_TOGETHER 8
#else
#define MAT_MOST 6
#define MAT_TOGETHER 32
#endif
enum {
    MAT_NV = 2, MAT_NR = MAT_NV * FD_W,                  /* columns of a tile */
    MAT_MR = MAT_MOST,                                   /* its rows: all registers are in use */
    MAT_LINE = 64 / (int)sizeof(fd_real),
    MAT_PITCH = MAT_KC + MAT_LINE,
    MAT_ROW = 2048 / (int)sizeof(fd_real),
    MAT_AW = FD_BYTES == 64 ? 16 : MAT_MR,               /* from a row of a packed panel to the
                                                          * next; what vectors write beyond, the
                                                          * next row writes over */
    MAT_GROUP = MAT_TOGETHER,                            /* panels packed at a time, A transposed */
    MAT_TURN = FD_BYTES == 64 ? 1 : MAT_GROUP,           /* panels that may pass over B together */
    /* Up to so many numbers of A, and of B, are read in place; with more than MAT_WIDE of B
     * panels of A take turns; at most MAT_AHEAD are fetched ahead. */
    MAT_NEAR_A = FD_BYTES == 64 ? 65536 : 32768 / (int)sizeof(fd_real),
    MAT_NEAR_B = FD_BYTES == 64 ? 65536 : 65536 / (int)sizeof(fd_real),
    MAT_WIDE = 262144 / (int)sizeof(fd_real),
    MAT_AHEAD = FD_BYTES == 64 ? 1 << 30 : 65536 / (int)sizeof(fd_real),
    MAT_MC = 512, MAT_NC = 512,                          /* rows and columns of a block */
    MAT_SLAB = 2048, MAT_SLABS = 16,                     /* long k: least length, most slabs */
    MAT_PART = 1 << 19,                                  /* reals for their sums, or 64 rows */
    MAT_WORK = 1 << 20                                   /* products to a thread, at least */
};

/* n < FD_W numbers, in halves, quarters, ..: copies of a size that the compiler knows */
static inline void mat_some(int n, const fd_real *restrict x, fd_real *restrict y)
{
    for (int s = FD_W / 2, at = 0; s; s /= 2)
        if (n & s) {
            memcpy(y + at, x + at, (size_t)s * sizeof *x);
            at += s;
        }
}

/* c (+)= t for a tile that reaches over the right edge of C */
CORE_COLD static void mat_edge(int rows, int cols, const fd_real *restrict t, int add,
                               fd_real *restrict c, ptrdiff_t ldc)
{
    for (int i = 0; i < rows; i++, t += MAT_NR, c += ldc)
        if (cols == 1) c[0] = add ? c[0] + t[0] : t[0];
        else for (int j = 0; j < cols; j += FD_W) {
            fd_real part[FD_W] = { 0 };
            const int n = cols - j < FD_W ? cols - j : FD_W;
            fd_real *const y = n < FD_W ? part : c + j;
            if (n < FD_W && add) mat_some(n, c + j, part);
            vstore(y, add ? vload(y) + vload(t + j) : vload(t + j));
            if (n < FD_W) mat_some(n, part, c + j);
        }
}

/* c (+)= a b for one tile. a[i][p] at a[i as + p], or with ta at a[i + p as]; b[p][j] at
 * b[p bs + j]; the first `cols` columns of c are written, add: added to */
FD_INLINE void mat_tile(int rows, int nv, int ta, int k, const fd_real *restrict a, ptrdiff_t as,
                         const fd_real *restrict b, ptrdiff_t bs, int add,
                         fd_real *restrict c, ptrdiff_t ldc, int cols, const fd_real *next)
{
    fd_vec sum[MAT_MR][MAT_NV], zero;
    memset(&zero, 0, sizeof zero);
    CORE_UNROLL
    for (int i = 0; i < rows; i++)
        CORE_UNROLL
        for (int j = 0; j < nv; j++) sum[i][j] = zero;
    for (int i = 0; i < rows; i++) {                        /* C is on its way while the sum runs */
        vfetch(c + i * ldc, 1, 3);
        if (MAT_NV * FD_BYTES > 64) vfetch(c + i * ldc + cols - 1, 1, 3);
    }
    const fd_real *row[(MAT_MR + 3) / 4];               /* every fourth: not a register for each */
    CORE_UNROLL
    for (int i = 0; i < rows; i += 4) row[i / 4] = ta ? a : a + i * as;
    for (int p = 0; p < k; p++) {
        fd_vec bv[MAT_NV];
        CORE_UNROLL
        for (int j = 0; j < nv; j++) bv[j] = vload(b + j * FD_W);
        CORE_UNROLL
        for (int i = 0; i < rows; i++) {
            const fd_real x = ta ? a[i] : row[i / 4][i % 4 * as];
            CORE_UNROLL
            for (int j = 0; j < nv; j++) sum[i][j] += x * bv[j];
        }
        if (ta) a += as;
        CORE_UNROLL
        for (int i = 0; i < rows; i += 4) row[i / 4]++;
        b += bs;
        vfetch(next, 0, 2);
        next += MAT_LINE;
    }
    if (cols == nv * FD_W) {
        CORE_UNROLL
        for (int i = 0; i < rows; i++)
            CORE_UNROLL
            for (int j = 0; j < nv; j++) {
                fd_real *const y = c + i * ldc + j * FD_W;
                vstore(y, add ? vload(y) + sum[i][j] : sum[i][j]);
            }
    } else {                                                /* the same through a whole tile */
        fd_real t[MAT_MR * MAT_NR];
        CORE_UNROLL
        for (int i = 0; i < rows; i++)
            CORE_UNROLL
            for (int j = 0; j < nv; j++) vstore(t + i * MAT_NR + j * FD_W, sum[i][j]);
        mat_edge(rows, cols, t, add, c, ldc);
    }
}

typedef void mat_kernel(int k, const fd_real *a, ptrdiff_t as, const fd_real *b, ptrdiff_t bs,
                        int add, fd_real *c, ptrdiff_t ldc, int cols, const fd_real *next);
#define MAT_ARGS int k, const fd_real *a, ptrdiff_t as, const fd_real *b, ptrdiff_t bs, \
                 int add, fd_real *c, ptrdiff_t ldc, int cols, const fd_real *next
#define MAT_PASS k, a, as, b, bs, add, c, ldc, cols, next
/* One row takes two vectors where one would do: gcc, tuning for some machines, does not fuse the
 * products and sums of a lone chain, and the bits would not be those of the other tiles. */
#define MAT_LEAST(r) ((r) == 1 ? 2 : 1)
#define MAT_MAKE(r)                                                                 \
    static void mat_n1_##r(MAT_ARGS) { mat_tile(r, MAT_LEAST(r), 0, MAT_PASS); }    \
    static void mat_n2_##r(MAT_ARGS) { mat_tile(r, 2, 0, MAT_PASS); }               \
    static void mat_t1_##r(MAT_ARGS) { mat_tile(r, MAT_LEAST(r), 1, MAT_PASS); }    \
    static void mat_t2_##r(MAT_ARGS) { mat_tile(r, 2, 1, MAT_PASS); }
#if MAT_MOST == 1
#define MAT_ROWS(X) X(1)
#elif MAT_MOST == 14
#define MAT_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define MAT_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif
MAT_ROWS(MAT_MAKE)
/* [rows - 1][ta][nv - 1] */
#define MAT_LIST(r) { { mat_n1_##r, mat_n2_##r }, { mat_t1_##r, mat_t2_##r } },
static mat_kernel *const mat_kernels[MAT_MR][2][2] = { MAT_ROWS(MAT_LIST) };

static int mat_up(int n, int to) { return (n + to - 1) / to * to; }
/* panels of A are not to lie a power of 2 apart, in the same sets of the cache; the last vector
 * of a panel may reach into the room between */
static int mat_panel(int k) { return k * MAT_AW + MAT_LINE; }
/* reals of scratch that mat_block needs, for panels of A and in all */
static ptrdiff_t mat_size_a(int ta, int m, int k)
{
    const ptrdiff_t panels = (m + MAT_MR - 1) / MAT_MR;
    if (!ta) return (panels < MAT_TURN ? panels : MAT_TURN) * MAT_MR * MAT_PITCH;
    return (panels < MAT_GROUP ? panels : MAT_GROUP) * mat_panel(k < MAT_KC ? k : MAT_KC);
}
static ptrdiff_t mat_size(int ta, int m, int n, int k)
{
    const ptrdiff_t cols = mat_up(n < MAT_NC ? n : MAT_NC, MAT_NR);
    return mat_size_a(ta, m, k) + cols * (k < MAT_KC ? k : MAT_KC);
}

/* FD_W numbers at x, of which n > 0 are wanted: the others are whatever lies there, as long as that
 * is before `end`. They take lanes whose sums are not written */
CORE_COLD static fd_vec mat_last(const fd_real *x, int n)
{
    fd_real part[FD_W] = { 0 };
    for (int i = 0; i < n && i < FD_W; i++) part[i] = x[i];
    return vload(part);
}
FD_INLINE fd_vec mat_load(const fd_real *x, int n, const fd_real *end)
{
    return end - x >= FD_W ? vload(x) : mat_last(x, n);
}

/* the transpose of FD_W x FD_W numbers at x, of which rows x cols are wanted */
FD_INLINE void mat_load_across(fd_vec v[FD_W], const fd_real *x, ptrdiff_t ld, int rows, int cols,
                                 const fd_real *end)
{
    if (rows >= FD_W && end - x >= (FD_W - 1) * ld + FD_W) {
        CORE_UNROLL
        for (int i = 0; i < FD_W; i++) v[i] = vload(x + i * ld);
    } else
        for (int i = 0; i < FD_W; i++) v[i] = mat_load(x + (i < rows ? i : 0) * ld, cols, end);
    vturn(v);
}

/* the end of x, rows x cols or stored transposed */
static const fd_real *mat_end(int trans, const fd_real *x, int rows, int cols, ptrdiff_t ld)
{
    return x + (trans ? (cols - 1) * ld + rows : (rows - 1) * ld + cols);
}

/* c (+)= a b for one column: a[i][p] at a[i as + p], before `end`; b[p] at b[p MAT_NR], in all
 * lanes. In a tile one lane of each vector would be of use; here lane i has row i, FD_W^2
 * products for a transposition */
static void mat_column(int m, int k, const fd_real *a, ptrdiff_t as, const fd_real *end,
                       const fd_real *b, int add, fd_real *c, ptrdiff_t ldc)
{
    for (; m >= FD_W; m -= FD_W, a += FD_W * as, c += FD_W * ldc) {
        fd_vec sum = { 0 };
        fd_real s[FD_W];
        for (int p = 0; p < k; p += FD_W) {
            const int len = k - p < FD_W ? k - p : FD_W;
            fd_vec v[FD_W];
            mat_load_across(v, a + p, as, m, len, end);
            CORE_UNROLL
            for (int l = 0; l < FD_W; l++) if (l < len) sum += v[l] * b[(p + l) * MAT_NR];
        }
        vstore(s, sum);
        for (int l = 0; l < FD_W; l++) c[l * ldc] = add ? c[l * ldc] + s[l] : s[l];
    }
    for (int i = 0, rows; i < m; i += rows) {
        rows = m - i < MAT_MR ? m - i : MAT_MR;
        mat_kernels[rows - 1][0][0](k, a + i * as, as, b, MAT_NR, add, c + i * ldc, ldc, 1, b);
    }
}

/* alpha op(B)[p0..p0+k)[j0..j0+n) to panels [n / MAT_NR][k][MAT_NR] */
static void mat_pack_b(const mat_job *g, int p0, int k, int j0, int n, fd_real *restrict y)
{
    const fd_real *const end = mat_end(g->tb, g->B, g->k, g->n, g->ldb);
    for (int j = 0, cols; j < n; j += cols) {
        const fd_real *x = g->B + (g->tb ? (j0 + j) * g->ldb + p0 : p0 * g->ldb + j0 + j);
        fd_real *to = y + (ptrdiff_t)(j / MAT_NR) * k * MAT_NR + j % MAT_NR;
        cols = n - j < FD_W ? n - j : FD_W;
        if (!g->tb && j % MAT_NR == 0 && n - j >= MAT_NR) {     /* a whole panel: whole lines */
            cols = MAT_NR;
            for (int p = 0; p < k; p++, x += g->ldb, to += MAT_NR)
                CORE_UNROLL
                for (int h = 0; h < MAT_NR; h += FD_W) vstore(to + h, g->alpha * vload(x + h));
        } else if (cols == 1) {
            const fd_vec zero = { 0 };
            for (int p = 0; p < k; p++, to += MAT_NR)
                vstore(to, zero + g->alpha * x[g->tb ? p : p * g->ldb]);
        } else if (!g->tb) {
            for (int p = 0; p < k; p++, x += g->ldb, to += MAT_NR)
                vstore(to, g->alpha * mat_load(x, cols, end));
        } else {
            for (int p = 0; p < k; p += FD_W, x += FD_W) {
                const int len = k - p < FD_W ? k - p : FD_W;
                fd_vec v[FD_W];
                mat_load_across(v, x, g->ldb, cols, len, end);
                for (int i = 0; i < len; i++, to += MAT_NR) vstore(to, g->alpha * v[i]);
            }
        }
    }
}

/* 0..n cut into `parts` of about equal length, multiples of `unit` but the last: start of one */
static int mat_cut(int n, int parts, int unit, int part)
{
    const ptrdiff_t units = (n + unit - 1) / unit, at = units * part / parts * unit;
    return at < n ? (int)at : n;
}

/* terms p0.. of op(A), rows i0.., cut into `panels`: panels t..e. To [rows][MAT_PITCH], or where
 * A is stored transposed to [e - t][k][MAT_AW]: some at once, as their rows are strewn */
static void mat_pack_a(const mat_job *g, int p0, int k, int i0, int m, int panels, int t, int e,
                       fd_real *restrict y)
{
    const fd_real *x = g->A + (g->ta ? p0 * g->lda + i0 : i0 * g->lda + p0);
    const fd_real *const end = mat_end(g->ta, g->A, g->m, g->k, g->lda);
    const int last = mat_cut(m, panels, 1, e);
    if (!g->ta) {
        for (int i = mat_cut(m, panels, 1, t); i < last; i++, y += MAT_PITCH) {
            const fd_real *const row = x + i * g->lda;
            int p = 0;
            for (; p + FD_W <= k; p += FD_W) vstore(y + p, vload(row + p));
            if (p < k) vstore(y + p, mat_load(row + p, k - p, end));
        }
        return;
    }
    int at[MAT_GROUP + 1] = { 0 };
    for (int u = t; u < e; u++) at[u - t] = mat_cut(m, panels, 1, u);
    at[e - t] = last;
    for (int p = 0; p < k; p++, x += g->lda, y += MAT_AW) {
        fd_real *to = y;
        if (end - (x + at[e - t - 1]) >= mat_up(MAT_AW, FD_W))      /* all vectors end before it */
            for (int u = 0; u < e - t; u++, to += mat_panel(k))
                CORE_UNROLL
                for (int h = 0; h < MAT_AW; h += FD_W) vstore(to + h, vload(x + at[u] + h));
        else
            for (int u = 0; u < e - t; u++, to += mat_panel(k))
                for (int h = 0; h < MAT_AW; h += FD_W)
                    vstore(to + h, mat_load(x + at[u] + h, at[u + 1] - at[u] - h, end));
    }
}

typedef struct { const fd_real *at, *end; } mat_span;
static mat_span mat_from(const fd_real *x, ptrdiff_t n) { return (mat_span){ x, x + n }; }

typedef struct {                       /* what tiles of a block share; n without the lone column */
    int ta, n, k, add;
    const fd_real *b;
    ptrdiff_t as, bs, panel, ldc;      /* panel: from MAT_NR columns of b to the next */
    fd_real *c;
} mat_tiles;

/* `count` panels a[u], rows at[u]..at[u + 1] of C, times all of B */
FD_INLINE void mat_pass(int count, const mat_tiles *x, const int *at, const fd_real *const *a,
                        mat_span next[2])
{
    const fd_real *b = x->b;
    for (int j = 0; j < x->n; j += MAT_NR, b += x->panel) {
        const int cols = x->n - j < MAT_NR ? x->n - j : MAT_NR;
        for (int u = 0; u < count; u++) {
            mat_span *const s = &next[next[0].at >= next[0].end];
            const int more = s->at < s->end;
            mat_kernels[at[u + 1] - at[u] - 1][x->ta][cols > FD_W](x->k, a[u], x->as, b, x->bs,
                x->add, x->c + at[u] * x->ldc + j, x->ldc, cols, more ? s->at : b);
            if (more) s->at += x->k * MAT_LINE;
        }
    }
}

/* the block of m x n entries of C at (i0, j0), summed over k terms from p0. What will be read next
 * of A and B is fetched meanwhile, as far as it lies in one piece: the processor by itself stops at
 * the end of each panel and waits for memory at the next (skinny products: 0.5 instead of 0.7 of
 * the peak) */
static void mat_block(const mat_job *g, int i0, int m, int j0, int n, int p0, int k, fd_real *C,
                      ptrdiff_t ldc, int add, fd_real *pack)
{
    fd_real *const pa = pack, *const pb = pack + mat_size_a(g->ta, g->m, g->k);
    const int panels = (m + MAT_MR - 1) / MAT_MR;
    const int whole_a = g->lda == (g->ta ? g->m : g->k);
    const int whole_b = g->ldb == (g->tb ? g->k : g->n);
    const int alone = !g->ta && n % MAT_NR == 1 && FD_W > 1;          /* the last column of C */
    for (int q = 0; q < k; q += MAT_KC, add = 1) {
        const int kc = k - q < MAT_KC ? k - q : MAT_KC, p = p0 + q;
        const int unit = m == 1 ? MAT_NR : FD_W;       /* one row takes whole tiles: MAT_LEAST */
        const int direct_b = !g->tb && n % unit == 0 && g->alpha == 1
                          && (panels <= 2 || kc * g->ldb <= MAT_NEAR_B);
        const int direct_a = g->ta ? n <= MAT_NR || kc * g->lda <= MAT_NEAR_A : g->lda <= MAT_ROW;
        const ptrdiff_t as = direct_a ? g->lda : g->ta ? MAT_AW : MAT_PITCH;
        const int turn = (g->ta ? !direct_a : kc * n > MAT_WIDE) ? MAT_TURN : 1;
        const int group = g->ta ? MAT_GROUP : turn;
        const mat_tiles x = { g->ta, n - alone, kc, add, direct_b ? g->B + p * g->ldb + j0 : pb,
                              as, direct_b ? g->ldb : MAT_NR,
                              direct_b ? MAT_NR : (ptrdiff_t)kc * MAT_NR, ldc, C };
        mat_span next[2] = { { NULL, NULL }, { NULL, NULL } };
        if (q + kc < k) {                                     /* the next terms, of as many rows */
            const ptrdiff_t la = kc * g->lda, lb = kc * g->ldb;
            if (whole_a && g->ta && la <= MAT_AHEAD) next[0] = mat_from(g->A + p * g->lda + la, la);
            if (whole_b && !g->tb && lb <= MAT_AHEAD)
                next[1] = mat_from(g->B + p * g->ldb + lb, lb);
        } else {                                              /* the next product of a batch */
            if (whole_a && g->sa) next[0] = mat_from(g->A + g->sa, (ptrdiff_t)g->m * g->k);
            if (whole_b && g->sb) next[1] = mat_from(g->B + g->sb, (ptrdiff_t)g->k * g->n);
        }
        if (!direct_b) mat_pack_b(g, p, kc, j0, n, pb);
        int at[MAT_TURN + 1] = { 0 };                         /* first rows of the panels t..e */
        const fd_real *a[MAT_TURN];
        for (int t = 0, e; t < panels && n > alone; t = e) {
            e = panels - t < turn ? panels : t + turn;
            if (!direct_a && t % group == 0)
                mat_pack_a(g, p, kc, i0, m, panels, t, t + group < panels ? t + group : panels, pa);
            for (int u = 0; u < e - t; u++) {
                const ptrdiff_t i = i0 + at[u];
                at[u + 1] = mat_cut(m, panels, 1, t + u + 1);
                if (direct_a) a[u] = g->A + (g->ta ? p * g->lda + i : i * g->lda + p);
                else if (g->ta) a[u] = pa + (t + u) % group * mat_panel(kc);
                else a[u] = pa + (at[u] - at[0]) * MAT_PITCH;
            }
            if (whole_a && !g->ta && !g->sa && turn == 1)      /* the next panel, and 8 KiB ahead */
                next[0] = mat_from(g->A + (i0 + at[e - t]) * g->lda + 128 * MAT_LINE,
                                   (at[e - t] - at[0]) * g->lda);
            if (turn == 1) mat_pass(1, &x, at, a, next);
            else mat_pass(e - t, &x, at, a, next);
            at[0] = at[e - t];
        }
        if (alone)
            mat_column(m, kc, g->A + i0 * g->lda + p, g->lda, mat_end(0, g->A, g->m, g->k, g->lda),
                       pb + (ptrdiff_t)(n - 1) * kc, add, C + n - 1, ldc);
    }
}

/* slabs that a sum over k is cut into, and their length */
static int mat_slabs(int k, int *len)
{
    int s = k / MAT_SLAB;
    if (s < 2) s = 1;
    if (s > MAT_SLABS) s = MAT_SLABS;
    *len = s == 1 ? k : mat_up((k + s - 1) / s, MAT_KC);
    return (k + *len - 1) / *len;
}

/* part t of a product whose C is cut into mb x nb blocks and whose sum into slabs of `len`: rows
 * i0..i0+m; where there are slabs, to `part` [slabs][m][n] */
typedef struct { int i0, m, mb, nb, slabs, len; fd_real *part; } mat_plan;

static void mat_part(const mat_job *g, const mat_plan *q, int t, fd_real *pack)
{
    const int s = t % q->slabs, j = t / q->slabs % q->nb, i = t / q->slabs / q->nb;
    const int ib = mat_cut(q->m, q->mb, MAT_MR, i), ie = mat_cut(q->m, q->mb, MAT_MR, i + 1);
    const int jb = mat_cut(g->n, q->nb, MAT_NR, j), je = mat_cut(g->n, q->nb, MAT_NR, j + 1);
    const int p = s * q->len, k = g->k - p < q->len ? g->k - p : q->len;
    if (q->slabs > 1)
        mat_block(g, q->i0 + ib, ie - ib, jb, je - jb, p, k,
                  q->part + ((ptrdiff_t)s * q->m + ib) * g->n + jb, g->n, 0, pack);
    else
        mat_block(g, q->i0 + ib, ie - ib, jb, je - jb, p, k,
                  g->C + (q->i0 + ib) * g->ldc + jb, g->ldc, g->add, pack);
}

static void mat_run(const mat_job *g, double beta, fd_arena scratch)
{
    mat_plan q = { 0 };
    int threads = threads_most();
    const double work = (double)g->m * g->n * g->k;
    if (threads > work / MAT_WORK) threads = work < 2.0 * MAT_WORK ? 1 : (int)(work / MAT_WORK);
    q.slabs = mat_slabs(g->k, &q.len);
    q.nb = (g->n + MAT_NC - 1) / MAT_NC;
    /* with slabs a few rows at a time, so that `part` stays small */
    const int limit = q.slabs > 1 ? MAT_PART / q.slabs / g->n : g->m;
    const int chunk = limit >= g->m ? g->m : limit < 64 ? 64 : limit;
    const ptrdiff_t size = mat_size(g->ta, g->m, g->n, g->k);
    if (q.slabs > 1) q.part = fd_raw(&scratch, fd_real, (ptrdiff_t)q.slabs * chunk * g->n);
    fd_real *pack = fd_raw(&scratch, fd_real, size * threads);
    if (!pack) return;                                    /* C is as it was */
    mat_scale(g->m, g->n, beta, 0, g->C, g->ldc);

    for (q.i0 = 0; q.i0 < g->m; q.i0 += chunk) {
        q.m = g->m - q.i0 < chunk ? g->m - q.i0 : chunk;
        q.mb = (q.m + MAT_MC - 1) / MAT_MC;
        if (q.mb * q.nb * q.slabs % threads) q.mb = mat_up(q.mb, threads);
        const int parts = q.mb * q.nb * q.slabs;
        if (threads == 1) {
            for (int t = 0; t < parts; t++) mat_part(g, &q, t, pack);
        } else {
            FD_PARALLEL
            for (int t = 0; t < parts; t++) mat_part(g, &q, t, pack + threads_this() * size);
        }
        for (int i = 0; q.slabs > 1 && i < q.m; i++) {
            fd_real *c = g->C + (q.i0 + i) * g->ldc, *t = q.part + (ptrdiff_t)i * g->n;
            for (int s = 1; s < q.slabs; s++)
                for (int j = 0; j < g->n; j++) t[j] += t[(ptrdiff_t)s * q.m * g->n + j];
            for (int j = 0; j < g->n; j++) c[j] = g->add ? c[j] + t[j] : t[j];
        }
    }
}

/* product i of a batch, in one piece */
static void mat_one(mat_job g, int i, ptrdiff_t sc, double beta, fd_real *pack)
{
    g.A += i * g.sa;
    g.B += i * g.sb;
    g.C += i * sc;
    mat_scale(g.m, g.n, beta, 0, g.C, g.ldc);
    for (int j = 0; j < g.n; j += MAT_NC)
        mat_block(&g, 0, g.m, j, g.n - j < MAT_NC ? g.n - j : MAT_NC, 0, g.k, g.C + j, g.ldc, g.add,
                  pack);
}

static void mat_batch(const mat_job *g, int count, ptrdiff_t sc, double beta, fd_arena scratch)
{
    const int threads = threads_most();
    int len;
    if (mat_slabs(g->k, &len) > 1 || count < threads) {       /* each by all threads */
        mat_job one = *g;
        one.sa = one.sb = 0;
        for (; count-- > 0; one.A += g->sa, one.B += g->sb, one.C += sc)
            mat_run(&one, beta, scratch);
        return;
    }
    const ptrdiff_t size = mat_size(g->ta, g->m, g->n, g->k);
    fd_real *pack = fd_raw(&scratch, fd_real, size * threads);
    if (!pack) return;
    if ((double)g->m * g->n * g->k * count < MAT_WORK) {
        for (int i = 0; i < count; i++) mat_one(*g, i, sc, beta, pack);
    } else {
        FD_PARALLEL
        for (int i = 0; i < count; i++) mat_one(*g, i, sc, beta, pack + threads_this() * size);
    }
}
#endif /* FD_PLAIN */

static int mat_check(const char *where, fd_status *st, int ta, int tb, int m, int n, int k, int lda,
                     int ldb, int ldc)
{
    if (st->code) return 1;
    if (m < 0 || n < 0 || k < 0)
        return FD_FAIL(st, FD_ESHAPE, where, "negative size: m, n, k", m, n, k);
    if (lda < (ta ? m : k))
        return FD_FAIL(st, FD_ESHAPE, where, "lda below the width of A", lda, ta ? m : k);
    if (ldb < (tb ? k : n))
        return FD_FAIL(st, FD_ESHAPE, where, "ldb below the width of B", ldb, tb ? k : n);
    if (ldc < n) return FD_FAIL(st, FD_ESHAPE, where, "ldc below the width of C", ldc, n);
    return 0;
}

void fd_gemm(int ta, int tb, int m, int n, int k, double alpha, const fd_real *A, int lda,
             const fd_real *B, int ldb, double beta, fd_real *C, int ldc, fd_arena scratch)
{
    if (mat_check("fd_gemm", scratch.st, ta, tb, m, n, k, lda, ldb, ldc) || !m || !n) return;
    const mat_job g = { !!ta, !!tb, m, n, k, A, B, lda, ldb, ldc, 0, 0, (fd_real)alpha, beta != 0,
                        C };
    if (!k || alpha == 0) mat_scale(m, n, beta, 1, C, ldc);
    else mat_run(&g, beta, scratch);
}

void fd_gemm_batch(int count, int ta, int tb, int m, int n, int k, double alpha,
                   const fd_real *A, int lda, ptrdiff_t sa, const fd_real *B, int ldb, ptrdiff_t sb,
                   double beta, fd_real *C, int ldc, ptrdiff_t sc, fd_arena scratch)
{
    if (mat_check("fd_gemm_batch", scratch.st, ta, tb, m, n, k, lda, ldb, ldc)) return;
    if (count < 0) {
        FD_FAIL(scratch.st, FD_ESHAPE, "fd_gemm_batch", "negative count", count);
        return;
    }
    if (!m || !n) return;
    const mat_job g = { !!ta, !!tb, m, n, k, A, B, lda, ldb, ldc, sa, sb, (fd_real)alpha,
                        beta != 0, C };
    if (k && alpha != 0) mat_batch(&g, count, sc, beta, scratch);
    else for (int i = 0; i < count; i++) mat_scale(m, n, beta, 1, C + i * sc, ldc);
}

/* sum x y over n: the same bits at any vector width */
static double mat_dot(ptrdiff_t n, const double *restrict x, const double *restrict y)
{
    double lane[FD_LANES] = { 0 };
    ptrdiff_t i = 0;
    for (; i + FD_LANES <= n; i += FD_LANES)
        for (int l = 0; l < FD_LANES; l++) lane[l] += x[i + l] * y[i + l];
    for (int l = 0; i + l < n; l++) lane[l] += x[i + l] * y[i + l];
    return lanes_sum(lane);
}

static void mat_axpy(int n, double a, const double *restrict x, double *restrict y)
{
    for (int i = 0; i < n; i++) y[i] += a * x[i];
}

int fd_cholesky(fd_status *st, int n, double *A)
{
    if (st->code) return st->code;
    if (n < 0) return FD_FAIL(st, FD_ESHAPE, "fd_cholesky", "negative size", n);
    for (int i = 0; i < n; i++) {
        double *Li = A + (ptrdiff_t)i * n;
        for (int j = 0; j < i; j++) {
            const double *Lj = A + (ptrdiff_t)j * n;
            Li[j] = (Li[j] - mat_dot(j, Li, Lj)) / Lj[j];   /* A_ij = sum_p<=j L_ip L_jp */
        }
        const double d = Li[i] - mat_dot(i, Li, Li);
        if (!(d > 0))
            return FD_FAIL(st, FD_EDATA, "fd_cholesky", "not positive definite at row", i);
        Li[i] = sqrt(d);
        for (int j = i + 1; j < n; j++) Li[j] = 0;
    }
    return FD_OK;
}

void fd_solve_lower(int n, const double *L, int trans, double *x)
{
    if (!trans)
        for (int i = 0; i < n; i++) {
            const double *Li = L + (ptrdiff_t)i * n;
            x[i] = (x[i] - mat_dot(i, Li, x)) / Li[i];
        }
    else
        for (int i = n - 1; i >= 0; i--) {
            const double *Li = L + (ptrdiff_t)i * n;
            x[i] /= Li[i];
            mat_axpy(i, -x[i], Li, x);
        }
}

/* Symmetric eigenproblem, in two steps [Golub & Van Loan sec. 8.3].
 *
 * Reflections H_i = I - beta_i v_i v_i^T, i = n-1..1, v_i with i entries, clear row i of A up to
 * the entry beside the diagonal: T = H_1 .. H_n-1 A H_n-1 .. H_1. Row i of A then keeps v_i. All
 * passes run along rows of the lower triangle. Implicit QL makes T diagonal by plane rotations of
 * neighbours; the same rotations of the rows of Q^T = H_1 .. H_n-1 turn it into V. They are
 * collected and applied to a few columns at a time, which stay in cache for thousands of them. */

/* T into d[n], e[n] (e[i] = T[i][i-1]), reflectors into the rows of A, beta[n]; p[n] is scratch */
static void eig_tridiagonal(int n, double *A, double *d, double *e, double *beta, double *p)
{
    for (int i = n - 1; i > 0; i--) {
        double *v = A + (ptrdiff_t)i * n;
        const double last = v[i - 1], sigma = mat_dot(i - 1, v, v);
        d[i] = v[i];
        e[i] = last;
        beta[i] = 0;
        if (sigma < 1e-290) continue;                        /* entries of A are at most 1 */
        const double norm = sqrt(sigma + last * last);
        e[i] = last > 0 ? -norm : norm;
        v[i - 1] = last - e[i];
        beta[i] = 1 / (norm * (norm + fabs(last)));          /* 2 / v.v */
        for (int j = 0; j < i; j++) {                        /* p = A v by the lower triangle */
            const double *Aj = A + (ptrdiff_t)j * n;
            p[j] = mat_dot(j + 1, Aj, v);
            mat_axpy(j, v[j], Aj, p);
        }
        for (int j = 0; j < i; j++) p[j] *= beta[i];
        mat_axpy(i, -0.5 * beta[i] * mat_dot(i, p, v), v, p);
        for (int j = 0; j < i; j++) {                        /* A <- A - v p^T - p v^T */
            double *Aj = A + (ptrdiff_t)j * n;
            const double vj = v[j], pj = p[j];
            for (int l = 0; l <= j; l++) Aj[l] -= vj * p[l] + pj * v[l];
        }
    }
    if (n) d[0] = A[0];
}

/* rows r0..r1 of Q^T: row r is e_r H_r+1 .. H_n-1 */
static void eig_rows(int n, int r0, int r1, const double *A, const double *beta, double *V)
{
    for (int r = r0; r < r1; r++)
        for (int j = 0; j < n; j++) V[(ptrdiff_t)r * n + j] = j == r;
    for (int i = r0 + 1; i < n; i++) {
        const double *v = A + (ptrdiff_t)i * n;
        for (int r = r0; beta[i] != 0 && r < r1 && r < i; r++) {
            double *x = V + (ptrdiff_t)r * n;
            mat_axpy(i, -beta[i] * mat_dot(i, x, v), v, x);
        }
    }
}

enum { EIG_COLS = 32, EIG_ROWS = 16, EIG_WORK = 1 << 16 };     /* EIG_WORK: worth a thread */
typedef struct { int i; double c, s; } eig_turn;             /* of rows i and i + 1 */

/* on columns from j0 */
static void eig_turn_cols(int n, int j0, int cols, int turns, const eig_turn *t, double *V)
{
    for (int q = 0; q < turns; q++) {
        double *restrict x = V + (ptrdiff_t)t[q].i * n + j0, *restrict y = x + n;
        const double c = t[q].c, s = t[q].s;
        for (int j = 0; j < cols; j++) {
            const double f = y[j];
            y[j] = s * x[j] + c * f;
            x[j] = c * x[j] - s * f;
        }
    }
}

static void eig_turn_rows(int n, int turns, const eig_turn *t, double *V)
{
    FD_PARALLEL_IF((double)turns * n >= EIG_WORK)
    for (int j = 0; j < n; j += EIG_COLS)
        eig_turn_cols(n, j, n - j < EIG_COLS ? n - j : EIG_COLS, turns, t, V);
}

/* sqrt(x^2 + y^2), x and y not both 0; what hypot gives differs between libraries */
static double eig_norm(double x, double y)
{
    const double u = fabs(x), v = fabs(y), most = u > v ? u : v, q = (u > v ? v : u) / most;
    return most * sqrt(1 + q * q);
}

/* QL with shifts; returns 0, or 1 + the index of the eigenvalue that did not come */
static int eig_ql(int n, double *d, double *e, double *V, int room, eig_turn *t)
{
    const double eps = 0x1p-53;
    int turns = 0;
    for (int i = 1; i < n; i++) e[i - 1] = e[i];             /* e[i] = T[i+1][i] from here on */
    if (n) e[n - 1] = 0;
    for (int l = 0; l < n; l++)
        for (int sweep = 0;; sweep++) {
            int m = l;
            while (m < n - 1 && fabs(e[m]) > eps * (fabs(d[m]) + fabs(d[m + 1]) + 0x1p-8)) m++;
            if (m == l) break;
            if (sweep == 60) return 1 + l;
            if (turns + (m - l) > room) {
                eig_turn_rows(n, turns, t, V);
                turns = 0;
            }
            double g = (d[l + 1] - d[l]) / (2 * e[l]), r = eig_norm(g, 1);
            g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));  /* d_m - shift */
            double s = 1, c = 1, p = 0;
            /* r > 0: all e here are above 2^-61, so that where s e[i] underflows g is +-e[i + 1] */
            for (int i = m - 1; i >= l; i--) {
                const double f = s * e[i], b = c * e[i];
                e[i + 1] = r = eig_norm(f, g);
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                t[turns++] = (eig_turn){ i, c, s };
            }
            d[l] -= p;
            e[l] = g;
            e[m] = 0;
        }
    eig_turn_rows(n, turns, t, V);
    return 0;
}

int fd_eigen(fd_status *st, int n, double *A, double *w, double *V, fd_arena scratch)
{
    if (st->code) return st->code;
    if (n < 0) return FD_FAIL(st, FD_ESHAPE, "fd_eigen", "negative size", n);
    const int room = n * 24;
    double *e = fd_raw(&scratch, double, n), *beta = fd_raw(&scratch, double, n);
    double *p = fd_raw(&scratch, double, n);
    eig_turn *t = fd_raw(&scratch, eig_turn, room);
    if (!t) return st->code;

    double top = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            const double a = fabs(A[(ptrdiff_t)i * n + j]);
            if (!(a <= 1e300))
                return FD_FAIL(st, FD_EDATA, "fd_eigen", "not finite: row, column", i, j);
            if (a > top) top = a;
        }
    int ex = 0;
    frexp(top, &ex);
    const double scale = ldexp(1, -ex / 2), rest = ldexp(1, -ex - -ex / 2);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * n; i++) A[i] = A[i] * scale * rest;   /* at most 1 */
    eig_tridiagonal(n, A, w, e, beta, p);
    FD_PARALLEL_IF((double)n * n * n >= EIG_WORK)
    for (int b = 0; b < n; b += EIG_ROWS)
        eig_rows(n, b, n - b < EIG_ROWS ? n : b + EIG_ROWS, A, beta, V);
    const int stuck = eig_ql(n, w, e, V, room, t);
    if (stuck)
        return FD_FAIL(st, FD_EDATA, "fd_eigen", "QL does not end: eigenvalue", stuck - 1);
    for (int i = 0; i < n; i++) {                            /* descending, and the rule of signs */
        int k = i, big = 0;
        for (int j = i + 1; j < n; j++) if (w[j] > w[k]) k = j;
        double *x = V + (ptrdiff_t)i * n, *y = V + (ptrdiff_t)k * n;
        for (int j = 0; j < n; j++) if (fabs(y[j]) > fabs(y[big])) big = j;
        const double sign = y[big] < 0 ? -1 : 1, wk = w[k];
        for (int j = 0; j < n; j++) {
            const double s = sign * y[j];
            y[j] = x[j];
            x[j] = s;
        }
        w[k] = w[i];
        w[i] = ldexp(wk, ex);
    }
    return FD_OK;
}

/* ---- Spaces ----------------------------------------------------------------------------------
 *
 * On an axis of length L, e_j(x) = sqrt(2/L) cos or sin(w_j x), without the sqrt 2 for the constant
 * and the Nyquist mode ("edge modes"). With N = n (Dirichlet: n + 1), h = L/N,
 *
 *     u_j = h sum_i x_i e_j(x_i)        sqrt(2L)/N * (R2C; DCT2, DST1, DST4: half of it)
 *     x_i = sum_j u_j e_j(x_i)          1/sqrt(2L) * (R2C back, DCT3, DST1, DST4)
 *
 * but for factors of single modes: edge modes times sqrt(1/2) after the first, sqrt 2 before the
 * second (whose sum counts them once, all others twice); sines of a periodic axis change sign, as
 * R2C sums over exp(-i w x). Grids transform axis by axis; dense spaces by two matrix products. */

static const struct { int to, from; double scale; } axis_kind[] = {
    [FD_PERIODIC]  = { FD_R2C,  FD_R2C,  1 },
    [FD_NEUMANN]   = { FD_DCT2, FD_DCT3, .5 },
    [FD_DIRICHLET] = { FD_DST1, FD_DST1, .5 },
    [FD_MIXED]     = { FD_DST4, FD_DST4, .5 },
};

/* waves (periodic) or half waves of mode j on the length of its axis */
static double axis_number(int bc, int j)
{
    return bc == FD_PERIODIC ? (j + 1) / 2 : bc == FD_NEUMANN ? j
         : bc == FD_DIRICHLET ? j + 1 : j + .5;
}

static double axis_wave(const fd_space *s, int axis, int j)                     /* w_j */
{
    int bc = s->bc[axis];
    return (bc == FD_PERIODIC ? 2 : 1) * FD_PI * axis_number(bc, j) / s->len[axis];
}

/* modes of an axis that are no Nyquist mode: that is its last one */
static int axis_live(const fd_space *s, int axis)
{
    int n = s->n[axis];
    return s->bc[axis] == FD_PERIODIC && n % 2 == 0 ? n - 1 : n;
}

static int axis_edge(const fd_space *s, int axis, int j)
{
    int bc = s->bc[axis];
    return (j == 0 && (bc == FD_PERIODIC || bc == FD_NEUMANN)) || j >= axis_live(s, axis);
}

static double axis_mode(const fd_space *s, int axis, int j, double x)           /* e_j(x) */
{
    int bc = s->bc[axis], cosine = bc == FD_NEUMANN || (bc == FD_PERIODIC && (j % 2 || !j));
    double t = axis_wave(s, axis, j) * x;
    return sqrt((axis_edge(s, axis, j) ? 1 : 2) / s->len[axis]) * (cosine ? cos(t) : sin(t));
}

/* neither failed nor NULL */
static int space_is(const fd_space *s) { return s && (s->nd || s->basis); }

/* a grid, or FD_EARG; silent about spaces that failed before */
static int space_grid(fd_status *st, const fd_space *s, const char *where)
{
    if (st->code || !space_is(s)) return 0;
    if (!s->nd) FD_FAIL(st, FD_EARG, where, "needs a grid, not a dense space");
    return s->nd;
}

/* two grids of one domain, or FD_ESHAPE */
static int space_alike(fd_status *st, const fd_space *s, const fd_space *z, const char *where)
{
    if (!space_grid(st, s, where) || !space_grid(st, z, where)) return 0;
    if (s->nd != z->nd)
        return !FD_FAIL(st, FD_ESHAPE, where, "numbers of axes differ", s->nd, z->nd);
    for (int a = 0; a < s->nd; a++) {
        if (s->bc[a] != z->bc[a])
            return !FD_FAIL(st, FD_ESHAPE, where, "boundaries differ: axis", a);
        if (!(fabs(s->len[a] - z->len[a]) <= 1e-12 * s->len[a]))
            return !FD_FAIL(st, FD_ESHAPE, where, "lengths differ: axis", a);
    }
    return 1;
}

fd_space fd_grid(fd_arena *a, int nd, const int n[], const double len[], const int bc[], int ch)
{
    static const fd_space none;
    fd_space s = { .nd = nd, .n = { 1, 1, 1 }, .ch = ch, .len = { 1, 1, 1 }, .h = 1, .points = 1 };
    fd_status *st = a->st;
    if (st->code) return none;
    if (nd < 1 || nd > 3)
        FD_FAIL(st, FD_EARG, "fd_grid", "a grid has 1 to 3 axes", nd);
    else if (ch < 1)
        FD_FAIL(st, FD_EARG, "fd_grid", "channels must be at least 1", ch);
    for (int i = 0; i < nd && !st->code; i++) {
        int kind = bc ? bc[i] : FD_PERIODIC;
        if (n[i] < 1) {
            FD_FAIL(st, FD_EARG, "fd_grid", "size must be at least 1: axis, size", i, n[i]);
        } else if (kind < FD_PERIODIC || kind > FD_MIXED) {
            FD_FAIL(st, FD_EARG, "fd_grid", "unknown boundary: axis, boundary", i, kind);
        } else if (len && !(len[i] > 0 && isfinite(len[i]))) {
            FD_FAIL(st, FD_EARG, "fd_grid", "length must be positive: axis", i);
        } else if (s.points > PTRDIFF_MAX / 16 / ch / n[i]) {
            FD_FAIL(st, FD_EARG, "fd_grid", "too many points: axis, size", i, n[i]);
        } else {
            s.n[i] = n[i];
            s.bc[i] = kind;
            if (len) s.len[i] = len[i];
            s.h *= s.len[i] / (n[i] + (kind == FD_DIRICHLET));
            s.points *= n[i];
        }
    }
    for (int i = 0; i < nd && !st->code; i++) {
        int kind = s.bc[i], k = 0;
        while (s.n[k] != s.n[i] || s.bc[k] != kind) k++;          /* equal axes share their plans */
        if (k == i) s.to[i] = fd_fft_plan(a, axis_kind[kind].to, s.n[i]);
        if (k == i) s.from[i] = axis_kind[kind].from == axis_kind[kind].to ? s.to[i]
                              : fd_fft_plan(a, axis_kind[kind].from, s.n[i]);
        s.to[i] = s.to[k];
        s.from[i] = s.from[k];
    }
    s.modes = s.points;
    return st->code ? none : s;
}

fd_space fd_dense(const fd_space *like, ptrdiff_t points, ptrdiff_t modes, const fd_real *basis,
                  const fd_real *weight, int ch)
{
    fd_space s = { .nd = 0 };
    if (FD_LESS || !basis || !weight || points < 1 || modes < 0 || ch < 1 || (int)points != points
        || (int)modes != modes || (like && like->points != points)) return s;
    if (like) s = *like;
    else s = (fd_space){ .n = { (int)points, 1, 1 }, .len = { 1, 1, 1 } };
    for (int a = 0; a < 3; a++) s.to[a] = s.from[a] = NULL;
    s.nd = 0;
    s.ch = ch;
    s.points = points;
    s.modes = modes;
    s.basis = basis;
    s.weight = weight;
    return s;
}

ptrdiff_t fd_size(const fd_space *s) { return s ? s->ch * s->points : 0; }

double fd_coord(const fd_space *s, int axis, int i)
{
    int bc = s->bc[axis], n = s->n[axis];
    return s->len[axis] * (bc == FD_PERIODIC ? (double)i / n :
                           bc == FD_DIRICHLET ? (i + 1.) / (n + 1.) : (i + .5) / n);
}

int fd_mode(const fd_space *s, ptrdiff_t k, int j[3])
{
    int nyquist = 0;
    j[0] = (int)k, j[1] = j[2] = 0;
    for (int a = s->nd - 1; a >= 0; a--) {
        j[a] = (int)(k % s->n[a]);
        k /= s->n[a];
        nyquist |= j[a] >= axis_live(s, a);
    }
    return nyquist;
}

double fd_wave(const fd_space *s, ptrdiff_t k, double *mu)
{
    int j[3];
    double waves = 0, sum = 0;
    if (mu) *mu = NAN;
    if (!space_is(s) || !s->nd) return NAN;
    fd_mode(s, k, j);
    for (int a = 0; a < s->nd; a++) {
        const double n = axis_number(s->bc[a], j[a]), w = axis_wave(s, a, j[a]);
        waves += n * n;
        sum += w * w;
    }
    if (mu) *mu = sum;
    return sqrt(waves);
}

void fd_laplace(const fd_space *s, double *mu, fd_arena scratch)
{
    if (!mu || !space_grid(scratch.st, s, "fd_laplace")) return;
    for (ptrdiff_t k = 0; k < s->modes; k++) fd_wave(s, k, &mu[k]);
}

/* how to transform grids of a space: sign -1 is x -> u, +1 is u -> x. f[a][j]: the factor of mode j
 * on axis a; last: f of the last axis as fd_real; edge: is any factor not 1? fill, where there is
 * one, makes the modes of m grids from number `at` on, factors included, instead of reading them.
 * The first `alone` blocks of grids come one after another, the others in `threads`, with `need`
 * of the `size` bytes of mem each. */
typedef struct {
    const fd_space *s;
    int sign, edge, threads;
    ptrdiff_t count, block, alone;
    size_t need, size;
    char *mem;
    fd_status *st;                      /* one for each thread */
    const double *f[3];
    const fd_real *last;
    void (*fill)(const void *self, ptrdiff_t at, ptrdiff_t m, fd_real *y);
    const void *self;
} grid_how;

/* y = x times the factors of single modes, for m grids; y may be x */
static void grid_factors(const grid_how *how, ptrdiff_t m, const fd_real *x, fd_real *y)
{
    const fd_space *s = how->s;
    const fd_real *last = how->last;
    const int n = s->n[s->nd - 1];
    ptrdiff_t rows = m * (s->modes / n);
    for (ptrdiff_t r = 0; r < rows; r++) {
        double c = 1;
        ptrdiff_t q = r;
        for (int a = s->nd - 2; a >= 0; a--) c *= how->f[a][q % s->n[a]], q /= s->n[a];
        const fd_real row = (fd_real)c, *xr = x + r * n;
        fd_real *yr = y + r * n;
        for (int j = 0; j < n; j++) yr[j] = xr[j] * (row * last[j]);
    }
}

/* m grids of x and y from number `at` on, y may be x */
static void grid_block(const grid_how *how, ptrdiff_t at, ptrdiff_t m, const fd_real *x, fd_real *y,
                       fd_arena scratch)
{
    const fd_space *s = how->s;
    ptrdiff_t after = s->points;
    x += at * s->points;
    y += at * s->points;
    if (how->fill) how->fill(how->self, at, m, y);
    else if (how->sign > 0 && how->edge) grid_factors(how, m, x, y);
    else if (y != x) memcpy(y, x, (size_t)(m * s->points) * sizeof *y);
    for (int a = 0; a < s->nd; a++) {
        int n = s->n[a], bc = s->bc[a];
        ptrdiff_t before = m * s->points / after;
        double L = s->len[a], scale = how->sign > 0 ? 1 / sqrt(2 * L)
            : axis_kind[bc].scale * sqrt(2 * L) / (n + (bc == FD_DIRICHLET));
        const fd_fft *p = how->sign < 0 ? s->to[a] : s->from[a];
        after /= n;
        if (after == 1)
            fd_fft_run(p, how->sign, scale, before, n, 1, y, scratch);
        else
            for (ptrdiff_t q = 0; q < before; q++)
                fd_fft_run(p, how->sign, scale, after, 1, after, y + q * n * after, scratch);
    }
    if (how->sign < 0 && how->edge) grid_factors(how, m, y, y);
}

/* Grids are transformed in blocks that stay in the cache from one axis to the next. Threads take
 * blocks (the calls along an axis are too small to share), each with an arena of its own. All
 * memory is taken before the first number is written: what lacks it leaves its output as it was. */

enum { GRID_BLOCK = 16384 };            /* points of a block, where one grid has fewer */

/* bytes of scratch for a block, on that many threads */
static size_t grid_need(const grid_how *how, int threads)
{
    const fd_space *s = how->s;
    size_t need = 0;
    ptrdiff_t after = s->points;
    for (int a = 0; a < s->nd; a++) {
        const fd_fft *p = how->sign < 0 ? s->to[a] : s->from[a];
        after /= s->n[a];
        size_t own = fd_fft_room(p, after == 1 ? how->block * s->points / s->n[a] : after, after,
                                 threads);
        if (own > need) need = own;
    }
    return (need + 63) / 64 * 64;
}

/* How to transform `count` grids: the factors of single modes, and the memory. */
static grid_how grid_plan(const fd_space *s, int sign, ptrdiff_t count, fd_arena *a)
{
    const double root = sign < 0 ? sqrt(.5) : sqrt(2);
    grid_how how = { .s = s, .sign = sign, .count = count };
    fd_real *last = fd_raw(a, fd_real, s->n[s->nd - 1]);
    for (int i = 0; i < s->nd; i++) {
        double *g = fd_raw(a, double, s->n[i]);
        if (!g) return how;
        for (int j = 0; j < s->n[i]; j++) {
            g[j] = axis_edge(s, i, j) ? root : s->bc[i] == FD_PERIODIC && j % 2 == 0 ? -1 : 1;
            how.edge |= g[j] != 1;
            if (i == s->nd - 1) last[j] = (fd_real)g[j];
        }
        how.f[i] = g;
    }
    how.last = last;
    how.block = s->points < GRID_BLOCK ? GRID_BLOCK / s->points : 1;
    if (how.block > count) how.block = count;
    const ptrdiff_t blocks = (count + how.block - 1) / how.block;
    how.threads = threads_most() < blocks ? threads_most() : (int)blocks;
    /* of large grids the threads share what is left over, too: along its axes */
    how.alone = how.threads == 1 ? blocks : s->points < 2 * GRID_BLOCK ? 0 : blocks % how.threads;
    how.need = grid_need(&how, 1);
    how.size = how.need * (size_t)how.threads;
    if (how.alone && threads_most() > 1) {
        const size_t all = grid_need(&how, threads_most());
        if (all > how.size) how.size = all;
    }
    if (how.threads > 1) how.st = fd_new(a, fd_status, how.threads);
    how.mem = fd_raw(a, char, how.size);
    return how;
}

/* all grids of a plan, y may be x */
static void grid_run(const grid_how *how, const fd_real *x, fd_real *y, fd_status *st)
{
    if (st->code) return;                       /* and then the plan may be half made */
    const ptrdiff_t count = how->count, block = how->block;
    const ptrdiff_t rest = (count + block - 1) / block - how->alone;
    const int threads = how->threads;
    fd_status own = { 0 };                      /* the caller's has its own low water */
    fd_arena all = { how->mem, how->mem + how->size, &own };
    for (ptrdiff_t k = 0; k < how->alone; k++)
        grid_block(how, k * block, count - k * block < block ? count - k * block : block, x, y,
                   all);
    fd_fail_as(st, &own);
    if (!rest) return;
    FD_PARALLEL
    for (int t = 0; t < threads; t++) {
        fd_arena part = { how->mem + (size_t)t * how->need, how->mem + (size_t)(t + 1) * how->need,
                          how->st + t };
        ptrdiff_t end = how->alone + rest * (t + 1) / threads;
        for (ptrdiff_t k = how->alone + rest * t / threads; k < end; k++)
            grid_block(how, k * block, count - k * block < block ? count - k * block : block, x, y,
                       part);
    }
    for (int t = 0; t < threads; t++) fd_fail_as(st, &how->st[t]);
}

static void grid_transform(const fd_space *s, int sign, ptrdiff_t count, const fd_real *x,
                           fd_real *y, fd_arena scratch)
{
    const grid_how how = grid_plan(s, sign, count, &scratch);
    grid_run(&how, x, y, scratch.st);
}

void fd_to_modes(const fd_space *s, int b, const fd_real *x, fd_real *u, fd_arena scratch)
{
    if (!space_is(s) || !x || !u || b < 1 || scratch.st->code) return;
    ptrdiff_t m = (ptrdiff_t)b * s->ch, P = s->points;
    if (FD_LESS || !s->basis) {
        grid_transform(s, -1, m, x, u, scratch);
        return;
    }
    fd_real *xw = fd_raw(&scratch, fd_real, m * P);
    if (!xw) return;
    for (ptrdiff_t r = 0; r < m; r++)
        for (ptrdiff_t i = 0; i < P; i++) xw[r * P + i] = x[r * P + i] * s->weight[i];
    fd_gemm(0, 1, (int)m, (int)s->modes, (int)P, 1, xw, (int)P, s->basis, (int)P, 0, u,
            (int)s->modes, scratch);
}

void fd_from_modes(const fd_space *s, int b, const fd_real *u, fd_real *x, fd_arena scratch)
{
    if (!space_is(s) || !x || !u || b < 1 || scratch.st->code) return;
    ptrdiff_t m = (ptrdiff_t)b * s->ch;
    if (FD_LESS || !s->basis) {
        grid_transform(s, 1, m, u, x, scratch);
        return;
    }
    /* a product is never in place */
    fd_real *own = u == x ? fd_raw(&scratch, fd_real, m * s->modes) : NULL;
    if (own) memcpy(own, u, (size_t)(m * s->modes) * sizeof *own);
    else if (u == x) return;
    fd_gemm(0, 0, (int)m, (int)s->points, (int)s->modes, 1, own ? own : u, (int)s->modes, s->basis,
            (int)s->points, 0, x, (int)s->points, scratch);
}

/* for `count` arrays over modes with elements of `size` bytes: shared modes copied, others 0. The
 * modes that two grids share are the first ones of each axis. */
static void modes_copy(const fd_space *from, const fd_space *to, ptrdiff_t count, size_t size,
                       const void *u, void *w)
{
    int nd = from->nd, keep[3], n = to->n[nd - 1];
    for (int a = 0; a < nd; a++) {
        int p = axis_live(from, a), q = axis_live(to, a);
        keep[a] = p < q ? p : q;
    }
    ptrdiff_t rows = to->modes / n;
    for (ptrdiff_t r = 0; r < count * rows; r++) {
        ptrdiff_t q = r % rows, step = from->n[nd - 1], at = r / rows * from->modes;
        int in = 1;
        for (int a = nd - 2; a >= 0; a--) {
            ptrdiff_t j = q % to->n[a];                             /* j_a of this row */
            q /= to->n[a];
            at += j * step;
            step *= from->n[a];
            in &= j < keep[a];
        }
        char *y = (char *)w + (size_t)(r * n) * size;
        const char *x = (const char *)u + (in ? (size_t)at * size : 0);
        size_t bytes = in ? (size_t)keep[nd - 1] * size : 0;
        if (bytes) memcpy(y, x, bytes);
        memset(y + bytes, 0, (size_t)n * size - bytes);
    }
}

void fd_modes_between(const fd_space *from, const fd_space *to, int b, const fd_real *u, fd_real *w)
{
    if (!space_is(from) || !space_is(to) || !u || !w) return;
    if (!from->nd || from->nd != to->nd || from->ch != to->ch) return;
    modes_copy(from, to, (ptrdiff_t)b * from->ch, sizeof *u, u, w);
}

void fd_resample(const fd_space *from, const fd_space *to, int b, const fd_real *x, fd_real *y,
                 fd_arena scratch)
{
    if (!x || !y || b < 1 || !space_alike(scratch.st, from, to, "fd_resample")) return;
    if (from->ch != to->ch) {
        FD_FAIL(scratch.st, FD_ESHAPE, "fd_resample", "channels differ", from->ch, to->ch);
        return;
    }
    const grid_how how = grid_plan(to, 1, (ptrdiff_t)b * to->ch, &scratch);
    fd_real *u = fd_raw(&scratch, fd_real, b * fd_size(from));
    fd_to_modes(from, b, x, u, scratch);
    if (scratch.st->code) return;
    fd_modes_between(from, to, b, u, y);
    grid_run(&how, y, y, scratch.st);
}

/* the mean of cos or sin(w y) over x +- d is its value at x times sin(w d)/(w d) */
/* blocks of each axis at a time: a sine for each mode of an axis, not for each mode */
void fd_modes_at(const fd_space *s, int m, const double *at, const double *half, fd_real *E)
{
    enum { BLOCK = 128 };
    if (!space_is(s) || !s->nd || !at || !E) return;
    FD_PARALLEL
    for (int i = 0; i < m; i++) {
        double v[3][BLOCK] = { { 1 }, { 1 }, { 1 } };
        int b[3] = { 0 }, n[3] = { 1, 1, 1 };                         /* block, and modes of it */
        for (b[0] = 0; b[0] < s->n[0]; b[0] += BLOCK)
            for (b[1] = 0; b[1] < s->n[1]; b[1] += BLOCK)
                for (b[2] = 0; b[2] < s->n[2]; b[2] += BLOCK) {
                    for (int d = 0; d < s->nd; d++) {
                        if (d == 0 && b[1] + b[2] > 0) continue;      /* as in the block before */
                        if (d == 1 && b[2] > 0) continue;
                        n[d] = s->n[d] - b[d] < BLOCK ? s->n[d] - b[d] : BLOCK;
                        for (int j = 0; j < n[d]; j++) {
                            int k = b[d] + j;
                            double wd = half ? axis_wave(s, d, k) * half[i * s->nd + d] : 0;
                            v[d][j] = k >= axis_live(s, d) ? 0
                                    : axis_mode(s, d, k, at[i * s->nd + d])
                                        * (wd > 0 ? sin(wd) / wd : 1);
                        }
                    }
                    for (int j = 0; j < n[0]; j++)
                        for (int k = 0; k < n[1]; k++) {
                            ptrdiff_t o = i * s->modes
                                + ((ptrdiff_t)(b[0] + j) * s->n[1] + b[1] + k) * s->n[2] + b[2];
                            double e = v[0][j] * v[1][k];
                            for (int l = 0; l < n[2]; l++) E[o + l] = (fd_real)(e * v[2][l]);
                        }
                }
    }
}

double fd_inner(const fd_space *s, const fd_real *x, const fd_real *y)
{
    if (!space_is(s) || !x || !y) return NAN;
    double sum = 0;
    for (int c = 0; c < s->ch; c++)
        for (ptrdiff_t i = 0, at = c * s->points; i < s->points; i++, at++)
            sum += (double)x[at] * (double)y[at] * (s->weight ? (double)s->weight[i] : 1);
    return s->weight ? sum : s->h * sum;
}

/* ---- Covariance operators --------------------------------------------------------------------
 *
 * C e_k = lam_k e_k. Where k(x - y) = int S(w) exp(i w (x - y)) dw / (2 pi)^d, the periodised (or
 * reflected) kernel has lam_k = S(w_k), w_k^2 = mu_k, whatever the lengths of the domain. A draw is
 * u_k = sqrt(lam_k) z_k with z_k keyed by the physical mode, so that grids share it. */

static fd_cov *cov_new(fd_arena *a, const fd_space *s, int kind)
{
    if (FD_LESS && kind == FD_COV_DENSE)
        FD_FAIL(a->st, FD_EARG, "fd_cov_kernel", "FD_SMALL is without dense spaces");
    fd_cov *c = fd_new(a, fd_cov, 1);
    double *lam = fd_new(a, double, s->modes);
    if (!lam) return NULL;
    c->s = *s;
    c->lam = lam;
    c->kind = kind;
    return c;
}

/* what each parameter must be; strict: bit i where parameter i must not be 0 */
static const struct { const char *what[3]; int strict; } cov_rule[] = {
    [FD_COV_WHITE]    = { { "sigma2 must be at least 0", "kmax must be at least 0", NULL }, 0 },
    [FD_COV_RBF]      = { { "var must be at least 0", "ell must be positive", NULL }, 2 },
    [FD_COV_MATERN]   = { { "var must be at least 0", "ell must be positive",
                            "nu must be positive" }, 6 },
    [FD_COV_POWER]    = { { "scale must be at least 0", "tau (or c) must be at least 0",
                            "alpha (or gamma) must be at least 0" }, 0 },
    [FD_COV_BRIDGE]   = { { "var must be at least 0", NULL, NULL }, 0 },
    [FD_COV_BROWNIAN] = { { "var must be at least 0", NULL, NULL }, 0 },
};

/* lam of a family: prm as in fd_cov, all of them functions of the axes' w and of mu = sum w^2 */
static fd_cov *cov_family(fd_arena *a, const fd_space *s, const char *where, int kind,
                          const double prm[3])
{
    if (!space_grid(a->st, s, where)) return NULL;
    for (int i = 0; i < 3 && cov_rule[kind].what[i]; i++)
        if (!(prm[i] >= 0 && isfinite(prm[i])) || (cov_rule[kind].strict >> i & 1 && prm[i] == 0))
            return FD_FAIL(a->st, FD_EARG, where, cov_rule[kind].what[i]), NULL;
    int need = kind == FD_COV_BRIDGE ? FD_DIRICHLET : kind == FD_COV_BROWNIAN ? FD_MIXED : -1;
    for (int i = 0; need >= 0 && i < s->nd; i++)
        if (s->bc[i] != need)
            return FD_FAIL(a->st, FD_EARG, where,
                           need == FD_MIXED ? "every axis must be FD_MIXED: axis"
                                            : "every axis must be FD_DIRICHLET: axis", i), NULL;
    fd_cov *c = cov_new(a, s, kind);
    if (!c) return NULL;
    memcpy(c->prm, prm, 3 * sizeof *prm);
    double half = .5 * s->nd, ell = prm[1], nu = prm[2], t2 = ell * ell, scale = prm[0];
    if (kind == FD_COV_RBF) scale *= pow(2 * FD_PI * t2, half);
    if (kind == FD_COV_MATERN) {
        t2 = 2 * nu / t2;                                 /* [FFM code, util/gaussian_process.py] */
        scale *= pow(4 * FD_PI, half) * exp(lgamma(nu + half) - lgamma(nu));
    }
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        int j[3], within = 1;
        double mu = 0, sheet = 1, lam = 0;
        if (fd_mode(s, k, j)) continue;
        for (int i = 0; i < s->nd; i++) {
            double w = axis_wave(s, i, j[i]);
            mu += w * w;
            sheet *= w * w;
            within &= axis_number(s->bc[i], j[i]) <= prm[1];
        }
        switch (kind) {
        case FD_COV_WHITE:    lam = within || prm[1] == 0; break;
        case FD_COV_RBF:      lam = exp(-.5 * t2 * mu); break;
        case FD_COV_MATERN:   lam = exp(-nu * log1p(mu / t2)) * pow(t2 + mu, -half); break;
        case FD_COV_POWER:    lam = mu + t2 > 0 ? pow(mu + t2, -prm[2]) : 0; break;
        case FD_COV_BRIDGE:
        case FD_COV_BROWNIAN: lam = 1 / sheet; break;
        }
        lam *= scale;                              /* powers: [FNO sec. 5.3; ML code, priors.py] */
        c->lam[k] = lam < 1e-300 ? 0 : lam;               /* or 1/lam overflows */
        if (!(lam <= 1e300))
            return FD_FAIL(a->st, FD_EDATA, where, "an eigenvalue is not finite: mode",
                           (long long)k), NULL;
    }
    return c;
}

fd_cov *fd_cov_white(fd_arena *a, const fd_space *s, double sigma2, int kmax)
{
    return cov_family(a, s, "fd_cov_white", FD_COV_WHITE, (double[]){ sigma2, kmax, 0 });
}

fd_cov *fd_cov_rbf(fd_arena *a, const fd_space *s, double var, double ell)
{
    return cov_family(a, s, "fd_cov_rbf", FD_COV_RBF, (double[]){ var, ell, 0 });
}

fd_cov *fd_cov_matern(fd_arena *a, const fd_space *s, double var, double ell, double nu)
{
    return cov_family(a, s, "fd_cov_matern", FD_COV_MATERN, (double[]){ var, ell, nu });
}

fd_cov *fd_cov_exp(fd_arena *a, const fd_space *s, double var, double ell)
{
    return cov_family(a, s, "fd_cov_exp", FD_COV_MATERN, (double[]){ var, ell, .5 });
}

fd_cov *fd_cov_power(fd_arena *a, const fd_space *s, double scale, double tau, double alpha)
{
    return cov_family(a, s, "fd_cov_power", FD_COV_POWER, (double[]){ scale, tau, alpha });
}

fd_cov *fd_cov_bessel(fd_arena *a, const fd_space *s, double scale, double c, double gamma)
{
    return cov_family(a, s, "fd_cov_bessel", FD_COV_POWER,
                      (double[]){ scale, c < 0 ? -1 : sqrt(c), gamma });
}

fd_cov *fd_cov_bridge(fd_arena *a, const fd_space *s, double var)
{
    return cov_family(a, s, "fd_cov_bridge", FD_COV_BRIDGE, (double[]){ var, 0, 0 });
}

fd_cov *fd_cov_brownian(fd_arena *a, const fd_space *s, double var)
{
    return cov_family(a, s, "fd_cov_brownian", FD_COV_BROWNIAN, (double[]){ var, 0, 0 });
}

static fd_cov *cov_function(fd_arena *a, const fd_space *s, const char *where, fd_cov_rule *rule,
                            const void *self)
{
    if (!space_grid(a->st, s, where)) return NULL;
    if (!rule)
        return FD_FAIL(a->st, FD_EARG, where, "no function is given"), NULL;
    fd_cov *c = cov_new(a, s, FD_COV_FUNCTION);
    if (!c) return NULL;
    c->rule = rule;
    c->self = self;
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        int j[3];
        double mu;
        if (fd_mode(s, k, j)) continue;
        fd_wave(s, k, &mu);
        c->lam[k] = rule(mu, self);
        if (!(c->lam[k] >= 0 && isfinite(c->lam[k])))
            return FD_FAIL(a->st, FD_EARG, where,
                           "eigenvalue negative or not finite: mode", k), NULL;
    }
    return c;
}

fd_cov *fd_cov_function(fd_arena *a, const fd_space *s, fd_cov_rule *rule, const void *self)
{
    return cov_function(a, s, "fd_cov_function", rule, self);
}

fd_cov *fd_cov_table(fd_arena *a, const fd_space *s, const double *lam)
{
    if (a->st->code || !space_is(s) || !lam) return NULL;
    for (ptrdiff_t k = 0; k < s->modes; k++)
        if (!(lam[k] >= 0 && isfinite(lam[k])))
            return FD_FAIL(a->st, FD_EARG, "fd_cov_table",
                           "eigenvalue negative or not finite: mode", k), NULL;
    fd_cov *c = cov_new(a, s, s->nd ? FD_COV_TABLE : FD_COV_DENSE);
    int j[3];
    for (ptrdiff_t k = 0; c && k < s->modes; k++) c->lam[k] = fd_mode(s, k, j) ? 0 : lam[k];
    return c;
}

/* The integral operator on the grid is the matrix K h: eigenvalues as they are, and since the
 * eigenvectors v have sum v^2 = 1, e = v/sqrt h. */
fd_cov *fd_cov_kernel(fd_arena *a, const fd_space *s,
                      double (*k)(const double *x, const double *y, const void *prm),
                      const void *prm)
{
    const char *where = "fd_cov_kernel";
    if (!k || !space_grid(a->st, s, where)) return NULL;
    if (s->points > 32768)
        return FD_FAIL(a->st, FD_EARG, where, "too many points for a matrix", s->points), NULL;
    int n = (int)s->points;
    size_t nn = (size_t)n * (size_t)n;
    fd_real *basis = fd_raw(a, fd_real, nn), *weight = fd_raw(a, fd_real, n);
    fd_space dense = fd_dense(s, n, n, basis, weight, s->ch);
    fd_cov *c = cov_new(a, &dense, FD_COV_DENSE);
    fd_arena scratch = *a;
    double *xyz = fd_new(&scratch, double, 3 * (size_t)n), *A = fd_raw(&scratch, double, nn);
    double *V = fd_raw(&scratch, double, nn);
    if (!V) return NULL;
    for (int i = 0; i < n; i++) {
        int j[3];
        fd_mode(s, i, j);                                   /* points are numbered as modes are */
        for (int d = 0; d < s->nd; d++) xyz[3 * i + d] = fd_coord(s, d, j[d]);
        weight[i] = (fd_real)s->h;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++)
            A[(size_t)i * n + j] = A[(size_t)j * n + i] = s->h * k(xyz + 3 * i, xyz + 3 * j, prm);
    if (fd_eigen(a->st, n, A, c->lam, V, scratch)) return NULL;
    for (int i = 0; i < n; i++) {
        if (!(c->lam[i] >= -1e-9 * c->lam[0]))
            return FD_FAIL(a->st, FD_EDATA, where, "kernel is not positive: eigenvalue", i), NULL;
        if (c->lam[i] < 0) c->lam[i] = 0;
    }
    for (size_t i = 0; i < nn; i++) basis[i] = (fd_real)(V[i] / sqrt(s->h));
    return c;
}

/* mean[ch][points] of m functions, in double; cov_mean_out: as the caller gets it, once nothing can
 * fail */
static void cov_mean(const fd_space *s, int m, const fd_real *x, double *mean)
{
    ptrdiff_t size = fd_size(s);
    memset(mean, 0, (size_t)size * sizeof *mean);
    for (int i = 0; i < m; i++)
        for (ptrdiff_t k = 0; k < size; k++) mean[k] += (double)x[i * size + k];
    for (ptrdiff_t k = 0; k < size; k++) mean[k] /= m;
}

static void cov_mean_out(const fd_space *s, const double *mean, fd_real *out)
{
    for (ptrdiff_t k = 0; out && k < fd_size(s); k++) out[k] = (fd_real)mean[k];
}

/* cov_stationary -- from the variances of modes to those of data that are shifted at random: cos
 * and sin of a wavenumber, modes 2k-1 and 2k of their axis, get their mean. Then the floor. */
static fd_cov *cov_stationary(fd_cov *c, double floor)
{
    const fd_space *s = &c->s;
    double *lam = c->lam, top = 0;
    int j[3];
    for (ptrdiff_t d = 0, after = s->modes; d < s->nd; d++) {
        int n = s->n[d];
        after /= n;
        for (ptrdiff_t k = 0; s->bc[d] == FD_PERIODIC && k < s->modes; k++) {
            ptrdiff_t i = k / after % n;
            if (i % 2 && i + 1 < n) lam[k] = lam[k + after] = .5 * (lam[k] + lam[k + after]);
        }
    }
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        if (fd_mode(s, k, j)) lam[k] = 0;
        if (lam[k] > top) top = lam[k];
    }
    for (ptrdiff_t k = 0; k < s->modes; k++)
        if (!fd_mode(s, k, j) && lam[k] < floor * top) lam[k] = floor * top;
    return c;
}

fd_cov *fd_cov_spectrum(fd_arena *a, const fd_space *s, const double *var, double floor)
{
    const char *where = "fd_cov_spectrum";
    if (!var || !space_grid(a->st, s, where)) return NULL;
    if (!(floor >= 0 && floor <= 1))
        FD_FAIL(a->st, FD_EARG, where, "floor must be between 0 and 1");
    for (ptrdiff_t k = 0; k < s->modes; k++)
        if (!(var[k] >= 0 && isfinite(var[k])))
            FD_FAIL(a->st, FD_EARG, where, "variance negative or not finite: mode", k);
    fd_cov *c = cov_new(a, s, FD_COV_TABLE);
    if (!c) return NULL;
    memcpy(c->lam, var, (size_t)s->modes * sizeof *var);
    return cov_stationary(c, floor);
}

fd_cov *fd_cov_empirical(fd_arena *a, const fd_space *s, int m, const fd_real *x, double floor,
                         fd_real *mean)
{
    const char *where = "fd_cov_empirical";
    if (!x || !space_grid(a->st, s, where)) return NULL;
    if (m < 1)
        FD_FAIL(a->st, FD_EARG, where, "needs at least 1 function", m);
    else if (!(floor >= 0 && floor <= 1))
        FD_FAIL(a->st, FD_EARG, where, "floor must be between 0 and 1");
    fd_cov *c = cov_new(a, s, FD_COV_TABLE);
    enum { CHUNK = 16 };
    fd_arena scratch = *a;
    ptrdiff_t size = fd_size(s);
    double *mid = fd_raw(&scratch, double, size), *lam;
    fd_real *u = fd_raw(&scratch, fd_real, CHUNK * size);
    if (!u) return NULL;
    lam = c->lam;
    cov_mean(s, m, x, mid);
    for (int i = 0; i < m; i += CHUNK) {
        int b = m - i < CHUNK ? m - i : CHUNK;
        for (ptrdiff_t k = 0; k < b * size; k++)
            u[k] = (fd_real)((double)x[i * size + k] - mid[k % size]);
        fd_to_modes(s, b, u, u, scratch);
        if (a->st->code) return NULL;
        for (ptrdiff_t r = 0; r < (ptrdiff_t)b * s->ch; r++)
            for (ptrdiff_t k = 0; k < s->modes; k++) {
                double v = (double)u[r * s->modes + k];
                lam[k] += v * v / ((double)m * s->ch);
            }
    }
    for (ptrdiff_t k = 0; k < s->modes; k++)
        if (!isfinite(lam[k]))
            return FD_FAIL(a->st, FD_EDATA, where, "the functions are not finite: mode", k), NULL;
    cov_mean_out(s, mid, mean);
    return cov_stationary(c, floor);
}

/* Row k of E, of length P: the eigenvector v of the covariance where S = P, else the one that
 * belongs to an eigenvector v of the Gram matrix of Y [S][P], orthogonal to the rows before it. */
static void cov_component(ptrdiff_t P, ptrdiff_t S, const double *v, const double *Y, int k,
                          double *E)
{
    double *e = E + k * P;
    if (S == P) {
        memcpy(e, v, (size_t)P * sizeof *e);
        return;
    }
    memset(e, 0, (size_t)P * sizeof *e);
    for (ptrdiff_t r = 0; r < S; r++)
        for (ptrdiff_t i = 0; i < P; i++) e[i] += v[r] * Y[r * P + i];
    for (int j = 0; j <= k; j++) {
        double *q = E + j * P, dot = mat_dot(P, e, q), f = j < k ? dot : 1 - 1 / sqrt(dot);
        for (ptrdiff_t i = 0; i < P; i++) e[i] -= f * q[i];
    }
}

/* With rows y_r = sqrt(weight) (x_r - mean), r over functions and channels, R in all, covariance
 * Y^T Y/R and Gram matrix Y Y^T/R have the same eigenvalues; an eigenvector v of the latter gives
 * Y^T v / sqrt(R lam) of the former. Gram-Schmidt makes them orthonormal for small lam, too. */
fd_cov *fd_cov_pca(fd_arena *a, const fd_space *s, int m, const fd_real *x, int modes,
                   fd_real *mean)
{
    const char *where = "fd_cov_pca";
    if (a->st->code || !space_is(s) || !x) return NULL;
    if (m < 2) FD_FAIL(a->st, FD_EARG, where, "needs at least 2 functions", m);
    if (modes < 1) FD_FAIL(a->st, FD_EARG, where, "modes must be at least 1", modes);
    ptrdiff_t P = s->points, R = (ptrdiff_t)m * s->ch, S = R < P ? R : P, K = R < P ? P : R;
    if (S > 32768) FD_FAIL(a->st, FD_EARG, where, "too many functions and points", R, P);
    if (modes > S) modes = (int)S;
    fd_real *basis = fd_raw(a, fd_real, modes * P), *weight = fd_raw(a, fd_real, P);
    fd_space dense = fd_dense(s, P, modes, basis, weight, s->ch);
    fd_cov *c = cov_new(a, &dense, FD_COV_DENSE);
    fd_arena scratch = *a;
    double *mid = fd_raw(&scratch, double, fd_size(s)), *root = fd_raw(&scratch, double, P);
    double *Y = fd_raw(&scratch, double, S * K), *G = fd_raw(&scratch, double, S * S);
    double *V = fd_raw(&scratch, double, S * S), *w = fd_raw(&scratch, double, S);
    double *E = fd_raw(&scratch, double, modes * P);
    if (!E) return NULL;
    for (ptrdiff_t i = 0; i < P; i++) {
        weight[i] = s->weight ? s->weight[i] : (fd_real)s->h;
        root[i] = sqrt(s->weight ? (double)s->weight[i] : s->h);
        if (!(root[i] > 0))
            return FD_FAIL(a->st, FD_EARG, where, "weights must be positive: point", i), NULL;
    }
    cov_mean(s, m, x, mid);
    for (ptrdiff_t r = 0; r < R; r++)                             /* Y [S][K]: Y or its transpose */
        for (ptrdiff_t i = 0; i < P; i++)
            Y[R < P ? r * K + i : i * K + r]
                = root[i] * ((double)x[r * P + i] - mid[r % s->ch * P + i]);
    FD_PARALLEL_IF((double)S * (double)S * (double)K >= 1e6)
    for (ptrdiff_t i = 0; i < S; i++)
        for (ptrdiff_t j = 0; j < S; j++)
            G[i * S + j] = mat_dot(K, Y + i * K, Y + j * K) / (double)R;
    if (fd_eigen(a->st, (int)S, G, w, V, scratch)) return NULL;
    if (!(w[0] > 0))
        return FD_FAIL(a->st, FD_EDATA, where, "the functions are all the same", m), NULL;
    int k = 0;
    for (; k < modes && w[k] > 1e-12 * w[0]; k++) {
        cov_component(P, S, V + k * S, Y, k, E);
        for (ptrdiff_t i = 0; i < P; i++) basis[k * P + i] = (fd_real)(E[k * P + i] / root[i]);
        c->lam[k] = w[k];
    }
    c->s.modes = k;
    cov_mean_out(s, mid, mean);
    return c;
}

fd_cov *fd_cov_on(fd_arena *a, const fd_cov *c, const fd_space *s)
{
    if (!c || !space_alike(a->st, &c->s, s, "fd_cov_on")) return NULL;
    if (c->kind == FD_COV_FUNCTION) return cov_function(a, s, "fd_cov_on", c->rule, c->self);
    if (c->kind != FD_COV_TABLE) return cov_family(a, s, "fd_cov_on", c->kind, c->prm);
    fd_cov *d = cov_new(a, s, FD_COV_TABLE);
    if (d) modes_copy(&c->s, s, 1, sizeof *c->lam, c->lam, d->lam);
    return d;
}

/* Is x (one function; u its modes) in the span of the modes with lam > 0, to 1e-10 of |x|^2? Where
 * the modes are fewer than the points, what they do not reach counts too. */
static int cov_reaches(const fd_cov *c, const fd_real *x, const fd_real *u, const char *where,
                       fd_arena scratch)
{
    const fd_space *s = &c->s;
    double out = 0, all = 0;
    if (s->modes == s->points) {
        for (ptrdiff_t k = 0; k < s->ch * s->modes; k++) {
            double e = (double)u[k] * (double)u[k];
            all += e;
            if (c->lam[k % s->modes] == 0) out += e;
        }
    } else {
        fd_real *v = fd_raw(&scratch, fd_real, s->ch * s->modes);
        fd_real *z = fd_raw(&scratch, fd_real, fd_size(s));
        if (!z) return 0;
        for (ptrdiff_t k = 0; k < s->ch * s->modes; k++) v[k] = c->lam[k % s->modes] > 0 ? u[k] : 0;
        fd_from_modes(s, 1, v, z, scratch);
        for (ptrdiff_t i = 0; i < fd_size(s); i++) z[i] = x[i] - z[i];
        out = fd_inner(s, z, z);
        all = fd_inner(s, x, x);
    }
    if (out <= 1e-10 * all) return !scratch.st->code;
    return !FD_FAIL(scratch.st, FD_EDATA, where,
                    "negative power of an eigenvalue 0: the function has a part there");
}

void fd_cov_pow(const fd_cov *c, double p, int b, const fd_real *x, fd_real *y, fd_arena scratch)
{
    if (!c || !x || !y || b < 1 || scratch.st->code) return;
    const fd_space *s = &c->s;
    ptrdiff_t n = s->modes, m = (ptrdiff_t)b * s->ch;
    double *f = fd_raw(&scratch, double, n);
    fd_real *u = s->nd && p >= 0 ? y : fd_raw(&scratch, fd_real, m * n);
    const grid_how back = s->nd ? grid_plan(s, 1, m, &scratch) : (grid_how){ .s = NULL };
    fd_to_modes(s, b, x, u, scratch);
    if (scratch.st->code) return;
    for (int i = 0; p < 0 && i < b; i++)
        if (!cov_reaches(c, x + i * fd_size(s), u + i * s->ch * n, "fd_cov_pow", scratch)) return;
    for (ptrdiff_t k = 0; k < n; k++) f[k] = c->lam[k] > 0 ? pow(c->lam[k], p) : 0;
    for (ptrdiff_t r = 0; r < m; r++)
        for (ptrdiff_t k = 0; k < n; k++) u[r * n + k] = (fd_real)((double)u[r * n + k] * f[k]);
    if (s->nd) grid_run(&back, u, y, scratch.st);
    else fd_from_modes(s, b, u, y, scratch);
}

/* what to draw: the standard deviation of mode k is sd[k], or where sd is NULL sqrt(lam_k) */
typedef struct {
    const fd_cov *c;
    fd_rng r;
    int first;
    const fd_real *sd;
} cov_draws;

/* Rows lo .. hi-1 of whole functions, numbered over (function, channel, indices before the last
 * axis), to u from row `lo` on. The modes of a row take the normals of groups of blocks, 32 modes a
 * group, in their order; as many rows as fill the groups of a call are drawn together. */
static void cov_draw_rows(const cov_draws *d, ptrdiff_t lo, ptrdiff_t hi, fd_real *u)
{
    float z[32 * RNG_GROUPS];
    const fd_space *s = &d->c->s;
    const ptrdiff_t n = s->nd ? s->n[s->nd - 1] : s->modes, rows = s->nd ? s->modes / n : 1;
    const ptrdiff_t n1 = s->nd == 3 ? s->n[1] : rows, groups = (n + 31) / 32;
    const ptrdiff_t step = groups < RNG_GROUPS ? RNG_GROUPS / groups : 1;      /* rows of a call */
    for (ptrdiff_t t = lo, m; t < hi; t += m) {
        ptrdiff_t i = t / rows, q = t % rows;                                /* of the first row */
        const fd_rng f = fd_stream(d->r, 'f', (uint32_t)d->first + (uint32_t)(i / s->ch));
        m = rows - q < step ? rows - q : step;
        for (ptrdiff_t from = 0; from < groups; from += RNG_GROUPS) {
            rng_ctr ctr[RNG_GROUPS];
            const ptrdiff_t k = groups - from < RNG_GROUPS ? groups - from : RNG_GROUPS;
            for (ptrdiff_t g = 0; g < m * k; g++) {
                const ptrdiff_t p = q + g / k;
                ctr[g] = (rng_ctr){ { (uint32_t)(8 * (from + g % k)), (uint32_t)(p % n1),
                                      (uint32_t)(p / n1), (uint32_t)(i % s->ch) } };
            }
            rng_normals(f, (int)(m * k), ctr, z);
            for (ptrdiff_t p = 0; p < m; p++) {
                const ptrdiff_t j = 32 * from, at = (q + p) * n + j;
                const ptrdiff_t end = n - j < 32 * k ? n - j : 32 * k;
                fd_real *row = u + (t + p - lo) * n + j;
                const float *zp = z + 32 * k * p;
                if (d->sd)
                    for (ptrdiff_t l = 0; l < end; l++) row[l] = d->sd[at + l] * (fd_real)zp[l];
                else
                    for (ptrdiff_t l = 0; l < end; l++)
                        row[l] = (fd_real)sqrt(d->c->lam[at + l]) * (fd_real)zp[l];
            }
        }
    }
}

/* modes of whole functions of one channel each, from number `at` on: grid_how's fill */
static void cov_draw_fill(const void *self, ptrdiff_t at, ptrdiff_t m, fd_real *u)
{
    const cov_draws *d = self;
    const ptrdiff_t rows = d->c->s.nd ? d->c->s.modes / d->c->s.n[d->c->s.nd - 1] : 1;
    cov_draw_rows(d, at * rows, (at + m) * rows, u);
}

void fd_cov_draw_modes(const fd_cov *c, fd_rng r, int first, int b, fd_real *u)
{
    if (!c || !u || b < 1 || !c->s.modes) return;
    const cov_draws d = { c, r, first, NULL };        /* [Thesis eqs. 2.41, 2.42] */
    const ptrdiff_t count = (ptrdiff_t)b * c->s.ch;
    FD_PARALLEL_IF(count * c->s.modes > 16384)
    for (ptrdiff_t i = 0; i < count; i++) cov_draw_fill(&d, i, 1, u + i * c->s.modes);
}

void fd_cov_draw(const fd_cov *c, fd_rng r, int first, int b, fd_real *x, fd_arena scratch)
{
    if (!c || !x || b < 1 || scratch.st->code) return;
    const fd_space *s = &c->s;
    if (!s->nd) {
        fd_real *u = fd_raw(&scratch, fd_real, b * s->ch * s->modes);
        fd_cov_draw_modes(c, r, first, b, u);
        fd_from_modes(s, b, u, x, scratch);
        return;
    }
    /* sd: with the factors of the transform */
    grid_how how = grid_plan(s, 1, (ptrdiff_t)b * s->ch, &scratch);
    fd_real *sd = fd_raw(&scratch, fd_real, s->modes);
    if (!sd) return;
    const int last = s->nd - 1, n = s->n[last];
    for (ptrdiff_t k = 0; k < s->modes; k += n) {          /* a row of the last axis */
        double f[2] = { 1, 1 };
        int j[3];
        fd_mode(s, k, j);
        for (int a = 0; a < last; a++) f[a] = how.f[a][j[a]];
        for (int i = 0; i < n; i++)
            sd[k + i] = (fd_real)(sqrt(c->lam[k + i]) * f[0] * f[1] * how.f[last][i]);
    }
    how.fill = cov_draw_fill;
    how.self = &(cov_draws){ c, r, first, sd };
    grid_run(&how, x, x, scratch.st);
}

/* The mean over the domain of the variance that rbf of var 1 has: a product over axes, of each
 *
 *     (1/L) sum_j sqrt(2 pi) l exp(-l^2 w_j^2/2)    or by its images    1 + r sqrt(pi/2) l/L + ..,
 *
 * r = 1 where the ends reflect, -1 where they are 0, 0 on a circle or with one of each; what is
 * left out is of the size exp(-2 L^2/l^2), on a circle exp(-L^2/2 l^2). */
static double cov_rbf_pixel(const fd_space *s, double ell)
{
    double all = 1;
    for (int a = 0; a < s->nd; a++) {
        const int bc = s->bc[a];
        const double L = s->len[a];
        double sum = 0, e = 1;
        if (ell < L / 9) {
            all *= 1 + ((bc == FD_NEUMANN) - (bc == FD_DIRICHLET)) * sqrt(FD_PI / 2) * ell / L;
            continue;
        }
        for (int j = 0; e > 1e-18; j++) {
            const double w = axis_wave(s, a, j);
            e = exp(-.5 * ell * ell * w * w);
            sum += e;
        }
        all *= sqrt(2 * FD_PI) * ell / L * sum;
    }
    return all;
}

/* matern is a mean of rbf with lengths l sqrt(g), g of the Gamma law of shape nu and mean 1: its
 * spectrum is a t-distribution. By the trapezoid rule in log g; where g has no place in it, l
 * sqrt(g) is nearly 0. */
double fd_cov_pixel(const fd_cov *c)
{
    if (!c) return NAN;
    const fd_space *s = &c->s;
    const double var = c->prm[0], ell = c->prm[1], nu = c->prm[2], step = 1 / 16.;
    double mean = 0, all = 0, volume = 0;
    if (c->kind == FD_COV_RBF) return var * cov_rbf_pixel(s, ell);
    if (c->kind == FD_COV_MATERN) {
        for (double u = -60; u < 60; u += step) {
            const double p = step * exp(nu * (u + log(nu)) - nu * exp(u) - lgamma(nu));
            if (p < 1e-18) continue;
            all += p;
            mean += p * cov_rbf_pixel(s, ell * exp(.5 * u));
        }
        return var * (mean + (1 - all));
    }
    if (!s->weight) volume = s->len[0] * s->len[1] * s->len[2];
    for (ptrdiff_t i = 0; s->weight && i < s->points; i++) volume += (double)s->weight[i];
    return fd_cov_trace(c) / volume;
}

double fd_cov_trace(const fd_cov *c)
{
    if (!c) return NAN;
    double sum = 0;
    for (ptrdiff_t k = 0; k < c->s.modes; k++) sum += c->lam[k];
    return sum;
}

double fd_cov_norm2(const fd_cov *c, const fd_real *x, fd_arena scratch)
{
    if (!c || !x || scratch.st->code) return NAN;
    ptrdiff_t n = c->s.modes;
    double sum = 0;                                   /* [DDO th. 1] */
    fd_real *u = fd_raw(&scratch, fd_real, c->s.ch * n);
    fd_to_modes(&c->s, 1, x, u, scratch);
    if (!u || scratch.st->code || !cov_reaches(c, x, u, "fd_cov_norm2", scratch)) return NAN;
    for (ptrdiff_t k = 0; k < c->s.ch * n; k++)
        if (c->lam[k % n] > 0) sum += (double)u[k] * (double)u[k] / c->lam[k % n];
    return sum;
}

/* One axis after the other: v(.., i, ..) = sum_j e_j(x_i)^2 v(.., j, ..) */
void fd_cov_std(const fd_cov *c, fd_real *sd, fd_arena scratch)
{
    if (!c || !sd || scratch.st->code) return;
    const fd_space *s = &c->s;
    ptrdiff_t P = s->points, after = P;
    double *v = fd_new(&scratch, double, P), *w = fd_raw(&scratch, double, P);
    if (!w) return;
    if (!s->nd)
        for (ptrdiff_t k = 0; k < s->modes; k++)
            for (ptrdiff_t i = 0; i < P; i++) {
                double e = (double)s->basis[k * P + i];
                v[i] += c->lam[k] * e * e;
            }
    else
        memcpy(v, c->lam, (size_t)P * sizeof *v);
    for (int d = 0; d < s->nd; d++) {
        int n = s->n[d];
        after /= n;
        memset(w, 0, (size_t)P * sizeof *w);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double e = axis_mode(s, d, j, fd_coord(s, d, i));
                for (ptrdiff_t p = 0; p < P; p += n * after)
                    for (ptrdiff_t q = 0; q < after; q++)
                        w[p + i * after + q] += e * e * v[p + j * after + q];
            }
        double *t = v;
        v = w;
        w = t;
    }
    for (ptrdiff_t i = 0; i < P; i++) sd[i] = (fd_real)sqrt(v[i]);
}

/* ---- Files --------------------------------------------------------------------------------------
 *
 * A reader knows how many bytes are left and hands out none that are not there; every count that a
 * file claims is held against that number before it is used, so a lie costs an error and no memory.
 * A writer fills a file of its own beside the target, under a name that nothing had, and renames it
 * at the end, when it is on the disk: so the target never stands for half a file, not after a crash
 * and not where several write it at once (the last to end wins). Both report through the first
 * failure of fd_status, with the file's name. Malformed contents are FD_EDATA (too many axes:
 * FD_ESHAPE), everything of the system FD_EIO. */
#ifndef FD_NO_STDIO
#include <limits.h>
#include <stdio.h>
#ifdef FILE_POSIX
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

/* --- Reading and writing, checked --- */

typedef struct {
    FILE *f;                          /* NULL: not open */
    fd_status *st;
    const char *where, *path, *part;  /* part: what of the file errors blame, or NULL */
    uint64_t size, left;              /* of the file; bytes not read yet */
    uint32_t *crc;                    /* NULL, or the CRC-32 of what is read */
} file_in;

typedef struct {
    FILE *f;
    fd_status *st;
    const char *where, *path;
    uint32_t *crc;                    /* NULL, or the CRC-32 of what is put, f or no f */
    uint64_t put;                     /* its bytes */
    char tmp[FILENAME_MAX];
} file_out;

static const char file_short[] = "file is shorter than its header says";

/* CRC-32 of n more bytes, half a byte at a time */
static uint32_t file_crc(uint32_t crc, const void *from, size_t n)
{
    static const uint32_t t[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
    crc = ~crc;
    for (const unsigned char *p = from, *end = p + n; p < end; p++) {
        crc ^= *p;
        crc = crc >> 4 ^ t[crc & 15];
        crc = crc >> 4 ^ t[crc & 15];
    }
    return ~crc;
}

/* where: what: path, or path: part where a part of the file (key, tensor, dtype) is to blame */
static int file_fail(const file_in *in, int code, const char *what, const char *part)
{
    if (in->part) part = in->part;
    char name[2 * sizeof in->st->name];
    size_t n = part ? strlen(part) : 0, m = strlen(in->path), room = sizeof name - 3;
    if (!n) return fd_fail_name(in->st, code, in->where, what, in->path);
    if (n > sizeof in->st->name) n = sizeof in->st->name;
    if (m > room - n) m = room - n;
    memcpy(name, in->path + strlen(in->path) - m, m);
    memcpy(name + m, ": ", 2);
    memcpy(name + m + 2, part, n);
    name[m + 2 + n] = 0;
    return fd_fail_name(in->st, code, in->where, what, name);
}

/* 1, or 0 with an error recorded */
static int file_open(file_in *in, fd_status *st, const char *where, const char *path)
{
    file_in i = { NULL, st, where, path, NULL, 0, 0, NULL };
    long n = -1;
    if (!path) FD_FAIL(st, FD_EARG, where, "no name of a file");
    if (!st->code) {
        i.f = fopen(path, "rb");
        if (i.f && !fseek(i.f, 0, SEEK_END)) n = ftell(i.f);
        if (!i.f) fd_fail_name(st, FD_EIO, where, "cannot open", path);
        else if (n < 0 || n == LONG_MAX || fseek(i.f, 0, SEEK_SET))      /* LONG_MAX: a folder */
            fd_fail_name(st, FD_EIO, where, "not a plain file", path);
        else i.size = i.left = (uint64_t)n;
    }
    *in = i;
    return !st->code;
}

static void file_close(file_in *in)
{
    if (in->f) fclose(in->f);
    in->f = NULL;
}

static int file_get(file_in *in, void *p, uint64_t n)
{
    if (in->st->code) return 0;
    if (n > in->left) return file_fail(in, FD_EDATA, file_short, NULL), 0;
    if (n && fread(p, 1, (size_t)n, in->f) != n)
        return file_fail(in, FD_EIO, "cannot read", NULL), 0;
    in->left -= n;
    if (in->crc) *in->crc = file_crc(*in->crc, p, (size_t)n);
    return 1;
}

/* go to byte `at`; the next n bytes are all that is to be read */
static int file_seek(file_in *in, uint64_t at, uint64_t n)
{
    if (in->st->code) return 0;
    if (at > in->size || n > in->size - at) return file_fail(in, FD_EDATA, file_short, NULL), 0;
    if (fseek(in->f, (long)at, SEEK_SET)) return file_fail(in, FD_EIO, "cannot read", NULL), 0;
    in->left = n;
    return 1;
}

/* leave out n bytes, which are there */
static void file_skip(file_in *in, uint64_t n)
{
    if (n && fseek(in->f, (long)n, SEEK_CUR)) file_fail(in, FD_EIO, "cannot read", NULL);
    in->left -= n;
}

/* the number of elements of a shape whose bytes are all in the file; -1 with an error otherwise */
static ptrdiff_t file_count(const file_in *in, int nd, const int n[], int size)
{
    uint64_t bytes = (uint64_t)size, most = in->left;
    int none = 0;
    for (int i = 0; i < nd; i++) none |= !n[i];
    if (none) most = PTRDIFF_MAX / sizeof(double);     /* a product without the 0, as numpy, too */
    for (int i = 0; i < nd && bytes <= most; i++)            /* no factor 0: too long stays so */
        if (n[i]) bytes = (uint64_t)n[i] > most / bytes ? UINT64_MAX : bytes * (uint64_t)n[i];
    if (none && bytes <= most) return 0;
    if (bytes > in->left || bytes / (uint64_t)size > PTRDIFF_MAX / sizeof(fd_real))
        return file_fail(in, FD_EDATA, file_short, NULL), -1;
    return (ptrdiff_t)(bytes / (uint64_t)size);
}

/* the first bytes of what people hand to a loader by mistake */
static int file_packed(const file_in *in, const unsigned char *magic)
{
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return file_fail(in, FD_EDATA, "compressed by gzip: gunzip it first", NULL);
    if (magic[0] == 'P' && magic[1] == 'K')
        return file_fail(in, FD_EDATA, "a zip (.npz): fd_tensors_load reads it; or unzip it first",
                         NULL);
    return FD_OK;
}

/* A new file at o->tmp, or NULL; taken: the name is. With POSIX that is one step, which follows no
 * link and opens nothing that is there. Plain C has no such step (C11's "wbx" is no mode of C99): a
 * name where nothing can be read is taken for free, which two writers at the same instant may both
 * find. */
static FILE *file_new(file_out *o, int *taken)
{
#ifdef FILE_POSIX
    const int fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL, 0666);
    *taken = fd < 0 && errno == EEXIST;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (fd >= 0 && !f) { close(fd); remove(o->tmp); }
    return f;
#else
    FILE *f = fopen(o->tmp, "rb");
    *taken = f != NULL;
    if (f) fclose(f);
    return *taken ? NULL : fopen(o->tmp, "wb");
#endif
}

static int file_begin(file_out *o, fd_status *st, const char *where, const char *path)
{
    int taken = 1;
    long own = 0;
    o->f = NULL; o->st = st; o->where = where; o->path = path; o->crc = NULL; o->put = 0;
    if (!path) FD_FAIL(st, FD_EARG, where, "no name of a file");
    if (st->code) return 0;
    size_t n = strlen(path);
    if (n + 40 > sizeof o->tmp) return fd_fail_name(st, FD_EIO, where, "name too long", path), 0;
    memcpy(o->tmp, path, n);
#ifdef FILE_POSIX
    struct stat is;
    if (!stat(path, &is) && !S_ISREG(is.st_mode) && !S_ISDIR(is.st_mode))
        return fd_fail_name(st, FD_EIO, where, "a device or a pipe cannot be replaced by a file",
                            path), 0;
    own = (long)getpid();
#endif
    for (int i = 0; taken && i < 10000; i++) {
        sprintf(o->tmp + n, ".%ld-%d.tmp", own, i);
        o->f = file_new(o, &taken);
    }
    if (!o->f) fd_fail_name(st, FD_EIO, where, "cannot create", path);
    return !st->code;
}

static void file_put(file_out *o, const void *p, size_t n)
{
    if (o->crc) *o->crc = file_crc(*o->crc, p, n);
    o->put += n;
    if (o->f && !o->st->code && n && fwrite(p, 1, n, o->f) != n)
        fd_fail_name(o->st, FD_EIO, o->where, "cannot write (disk full?)", o->path);
}

static int file_end(file_out *o)
{
    int bad = fflush(o->f);
#ifdef FILE_POSIX
    /* those two: there is no such thing there */
    if (fsync(fileno(o->f)) && errno != EINVAL && errno != ENOTSUP) bad = 1;
#endif
    bad |= fclose(o->f);
    if (bad) fd_fail_name(o->st, FD_EIO, o->where, "cannot write (disk full?)", o->path);
#ifdef _WIN32
    if (!o->st->code) remove(o->path);           /* its rename does not replace */
#endif
    if (!o->st->code && rename(o->tmp, o->path))
        fd_fail_name(o->st, FD_EIO, o->where, "cannot rename the finished file to", o->path);
    if (o->st->code) remove(o->tmp);
    return o->st->code;
}

/* --- Numbers as bytes ---
 * kind: 'b' truth value, 'u' unsigned, 'i' two's complement, 'f' IEEE 754 of 2, 4 or 8 bytes,
 * 'g' the upper half of a 4-byte one (bfloat16), 'c' two of 'f', which become an axis: see
 * num_pair. */

typedef struct { char kind; int size; } num_type;

/* A type by the name that a file has for it; kind 0 where it is not one of numbers. .npy: what
 * numpy.dtype takes, after the sign of byte order. .safetensors: its own names. */
static num_type num_type_of(const char *name, int npy)
{
    static const struct { const char *names; num_type t; } npys[] = {
        { " b1 ? bool ", { 'b', 1 } },
        { " u1 B uint8 ubyte ", { 'u', 1 } }, { " u2 H uint16 ushort ", { 'u', 2 } },
        { " u4 I uint32 uintc ", { 'u', 4 } }, { " u8 Q L uint64 uint ulonglong ", { 'u', 8 } },
        { " i1 b int8 byte ", { 'i', 1 } }, { " i2 h int16 short ", { 'i', 2 } },
        { " i4 i int32 intc ", { 'i', 4 } }, { " i8 q l int64 int longlong ", { 'i', 8 } },
        { " f2 e float16 half ", { 'f', 2 } }, { " f4 f float32 single ", { 'f', 4 } },
        { " f8 d float64 double float ", { 'f', 8 } },
        { " c8 F complex64 csingle ", { 'c', 4 } },
        { " c16 D complex128 cdouble complex ", { 'c', 8 } } };
    static const struct { const char *names; num_type t; } safes[] = {
        { " BOOL ", { 'b', 1 } }, { " U8 ", { 'u', 1 } }, { " U16 ", { 'u', 2 } },
        { " U32 ", { 'u', 4 } },
        { " U64 ", { 'u', 8 } }, { " I8 ", { 'i', 1 } }, { " I16 ", { 'i', 2 } },
        { " I32 ", { 'i', 4 } },
        { " I64 ", { 'i', 8 } }, { " F16 ", { 'f', 2 } }, { " BF16 ", { 'g', 2 } },
        { " F32 ", { 'f', 4 } },
        { " F64 ", { 'f', 8 } }, { " C64 ", { 'c', 4 } } };
    const int rows = (int)(npy ? sizeof npys / sizeof *npys : sizeof safes / sizeof *safes);
    const size_t n = strlen(name);
    char word[16] = " ";
    if (!n || n + 3 > sizeof word || strchr(name, ' ')) return (num_type){ 0, 0 };
    memcpy(word + 1, name, n);
    memcpy(word + 1 + n, " ", 2);
    for (int i = 0; i < rows; i++)
        if (strstr(npy ? npys[i].names : safes[i].names, word)) return npy ? npys[i].t : safes[i].t;
    return (num_type){ 0, 0 };
}

static int num_host_big(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return !first;
}

/* whole numbers of 0 to 8 bytes, little-endian */
static uint64_t num_whole(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    while (bytes) v = v << 8 | p[--bytes];
    return v;
}

static void num_put(file_out *o, uint64_t v, int bytes)
{
    unsigned char b[8];
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)(v >> 8 * i);
    file_put(o, b, (size_t)bytes);
}

static fd_real num_get(const unsigned char *p, num_type t, int big)
{
    uint64_t u = 0, top = (uint64_t)1 << (8 * t.size - 1);
    for (int i = 0; i < t.size; i++) u = u << 8 | p[big ? i : t.size - 1 - i];
    if (t.kind == 'b') return u != 0;
    if (t.kind == 'u') return (fd_real)u;
    if (t.kind == 'i') return u & top ? -(fd_real)(2 * top - u) : (fd_real)u;
    if (t.kind == 'f' && t.size == 2) {                     /* sign, 5 bits of exponent, 10 */
        int e = (int)(u >> 10 & 31);
        double f = (double)(u & 1023);
        f = e == 31 ? (f != 0 ? NAN : INFINITY) : e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
        return (fd_real)(u & top ? -f : f);
    }
    if (t.size == 8) {
        double d;
        memcpy(&d, &u, 8);
        return (fd_real)d;
    }
    uint32_t w = (uint32_t)(t.kind == 'g' ? u << 16 : u);
    float f;
    memcpy(&f, &w, 4);
    return (fd_real)f;
}

/* complex numbers are real ones with a last axis of 2, (re, im); 0 where there is no room */
static int num_pair(num_type *t, int *nd, int n[])
{
    if (t->kind != 'c') return 1;
    if (*nd == FD_MAXD) return 0;
    t->kind = 'f';
    n[(*nd)++] = 2;
    return 1;
}

enum { NUM_C, NUM_FORTRAN, NUM_FORTRAN_PAIRS };    /* the last: Fortran order, pairs together */

/* An array from the file into x, row-major whatever its order in the file. */
static void num_read(file_in *in, num_type t, int big, int order, int nd, const int n[],
                     ptrdiff_t count, fd_real *x)
{
    unsigned char buf[4096];
    ptrdiff_t stride[FD_MAXD], at = 0;
    int i[FD_MAXD] = { 0 };
    if (!x) return;
    if (t.kind == 'f' && t.size == (int)sizeof *x && big == num_host_big() && !order) {
        file_get(in, x, (uint64_t)count * sizeof *x);
        return;
    }
    for (ptrdiff_t d = nd, s = 1; order && d--; s *= n[d]) stride[d] = s;
    for (ptrdiff_t j = 0; j < count; j++) {
        ptrdiff_t k = j % (ptrdiff_t)(sizeof buf / 8), m = sizeof buf / 8;
        if (!k && !file_get(in, buf, (uint64_t)((count - j < m ? count - j : m) * t.size))) return;
        x[order ? at : j] = num_get(buf + k * t.size, t, big);
        for (int e = 0; order && e < nd; e++) {             /* count up, the first axis fastest */
            int d = order == NUM_FORTRAN ? e : e ? e - 1 : nd - 1;
            at += stride[d];
            if (++i[d] < n[d]) break;
            at -= stride[d] * n[d];
            i[d] = 0;
        }
    }
}

/* little-endian reals */
static void num_write(file_out *o, ptrdiff_t count, const fd_real *x)
{
    unsigned char buf[4096];
    if (!num_host_big()) { file_put(o, x, (size_t)count * sizeof *x); return; }
    for (ptrdiff_t j = 0, k = 0; j < count; j++) {
        unsigned char b[sizeof *x];
        memcpy(b, x + j, sizeof b);
        for (size_t i = sizeof b; i--; ) buf[k++] = b[i];
        if (k == sizeof buf || j == count - 1) { file_put(o, buf, (size_t)k); k = 0; }
    }
}

/* elements of a shape to be written; -1 with an error where it is not one */
static ptrdiff_t num_shape(fd_status *st, const char *where, const char *name, int nd,
                           const int n[])
{
    ptrdiff_t count = 1;
    int bad = nd < 0 || nd > FD_MAXD;
    for (int i = 0; !bad && i < nd; i++) {
        bad = n[i] < 0 || (n[i] && count > PTRDIFF_MAX / 8 / n[i]);
        count *= bad ? 1 : n[i];
    }
    return bad ? fd_fail_name(st, FD_ESHAPE, where, "not a shape", name), -1 : count;
}

/* --- .npy: magic, version, length of the header, a Python dict, data from a multiple of 64 --- */

/* the header of a file, and its length */
static int npy_header(char h[256], int nd, const int n[])
{
    int k = 10 + sprintf(h + 10, "{'descr': '<f%d', 'fortran_order': False, 'shape': (",
                         (int)sizeof(fd_real));
    for (int i = 0; i < nd; i++)                            /* (), (3,), (3, 5) */
        k += sprintf(h + k, "%d%s", n[i], i < nd - 1 ? ", " : nd == 1 ? "," : "");
    k += sprintf(h + k, "), }");
    while (k % 64 != 63) h[k++] = ' ';
    h[k++] = '\n';
    memcpy(h, "\x93NUMPY\1\0", 8);
    h[8] = (char)((k - 10) & 255);
    h[9] = (char)((k - 10) >> 8);
    return k;
}

int fd_npy_save(fd_status *st, const char *path, int nd, const int n[], const fd_real *x)
{
    char h[256];
    file_out o;
    ptrdiff_t count = num_shape(st, "fd_npy_save", path, nd, n);
    if (st->code || (count && !x) || !file_begin(&o, st, "fd_npy_save", path)) return st->code;
    file_put(&o, h, (size_t)npy_header(h, nd, n));
    num_write(&o, count, x);
    return file_end(&o);
}

/* strange: why its numbers cannot be read, or NULL; descr: their type */
typedef struct {
    num_type type;
    int big, order, nd, n[FD_MAXD];
    const char *strange;
    char descr[32];
} npy_head;

static const char npy_axes[] = "more than 6 axes",
    npy_pairs[] = "more than 5 axes of complex numbers";
static const char npy_extent[] = "an extent is too large",
    npy_dtype[] = "dtype is not one of numbers";

static int npy_take(const char **p, const char *word)
{
    size_t n = strlen(word);
    while (**p == ' ' || **p == '\t' || **p == '\n' || **p == '\r') ++*p;
    return !strncmp(*p, word, n) ? (*p += n, 1) : 0;
}

/* a quoted word without escapes, shorter than 32 */
static int npy_string(const char **p, char out[32])
{
    char q = npy_take(p, "'") ? '\'' : npy_take(p, "\"") ? '"' : 0;
    int n = 0;
    while (q && n < 31 && **p && **p != q) out[n++] = *(*p)++;
    out[n] = 0;
    return q && **p == q ? (++*p, 1) : 0;
}

/* (), (3,), (3, 5), (3L, 5L) */
static int npy_shape(const char **p, npy_head *h)
{
    int comma = 1;
    if (!npy_take(p, "(")) return 0;
    for (h->nd = 0; !npy_take(p, ")"); h->nd++) {
        int64_t v = 0;
        if (!comma || **p < '0' || **p > '9') return 0;
        for (; **p >= '0' && **p <= '9'; ++*p) if (v <= INT_MAX) v = 10 * v + (**p - '0');
        if (v > INT_MAX) h->strange = npy_extent;
        if (h->nd >= FD_MAXD) h->strange = npy_axes;
        else h->n[h->nd] = (int)v;
        if (**p == 'L') ++*p;                               /* written by Python 2 */
        comma = npy_take(p, ",");
    }
    return h->nd != 1 || comma;                             /* (3) is a number */
}

/* [('a', '<f4'), ..], the type of records: over it */
static int npy_records(const char **p)
{
    int depth = 0;
    do {
        const char c = **p;
        if (!c) return 0;
        if (c == '\'' || c == '"')
            for (++*p; **p != c; ++*p) if (!**p) return 0;
        depth += (c == '[' || c == '(') - (c == ']' || c == ')');
        ++*p;
    } while (depth > 0);
    return 1;
}

static int npy_parse(const char *p, npy_head *h)
{
    char key[32];
    int seen = 0, bit, more = 1;
    if (!npy_take(&p, "{")) return 0;
    while (!npy_take(&p, "}")) {
        if (!more || !npy_string(&p, key) || !npy_take(&p, ":")) return 0;
        if (!strcmp(key, "descr")) {
            bit = 1;
            npy_take(&p, "");
            if (*p != '[') {
                if (!npy_string(&p, h->descr)) return 0;
            } else {
                if (!npy_records(&p)) return 0;
                strcpy(h->descr, "records");
            }
        } else if (!strcmp(key, "fortran_order")) {
            bit = 2;
            h->order = npy_take(&p, "True") ? NUM_FORTRAN : NUM_C;
            if (!h->order && !npy_take(&p, "False")) return 0;
        } else if (!strcmp(key, "shape")) {
            bit = 4;
            if (!npy_shape(&p, h)) return 0;
        } else return 0;
        if (seen & bit) return 0;
        seen |= bit;
        more = npy_take(&p, ",");
    }
    npy_take(&p, "");
    if (seen != 7 || *p) return 0;
    const char sign = h->descr[0], *name = h->descr + (sign && strchr("<>|=", sign) ? 1 : 0);
    /* "<float32" is not one */
    if (name == h->descr || strlen(name) < 4) h->type = num_type_of(name, 1);
    h->big = sign == '<' ? 0 : sign == '>' ? 1 : num_host_big();
    if (!h->type.kind && !h->strange) h->strange = npy_dtype;
    if (h->type.kind == 'c' && h->order) h->order = NUM_FORTRAN_PAIRS;
    if (!h->strange && !num_pair(&h->type, &h->nd, h->n)) h->strange = npy_pairs;
    return 1;
}

/* the header up to the data; 0 with an error */
static int npy_begin(file_in *in, fd_arena scratch, npy_head *h)
{
    unsigned char m[12];
    memset(h, 0, sizeof *h);
    if (!file_get(in, m, 8) || file_packed(in, m)) return 0;
    if (memcmp(m, "\x93NUMPY", 6)) return file_fail(in, FD_EDATA, "not a .npy file", NULL), 0;
    if (m[6] < 1 || m[6] > 3 || m[7])
        return file_fail(in, FD_EDATA, "not version 1, 2 or 3 of .npy", NULL), 0;
    int wide = m[6] == 1 ? 2 : 4;
    if (!file_get(in, m, (uint64_t)wide)) return 0;
    uint64_t len = num_whole(m, wide);
    if (len > in->left) return file_fail(in, FD_EDATA, file_short, NULL), 0;
    char *text = fd_raw(&scratch, char, len + 1);
    if (!text || !file_get(in, text, len)) return 0;
    text[len] = 0;
    if (strlen(text) != len || !npy_parse(text, h))
        return file_fail(in, FD_EDATA, "header is malformed", NULL), 0;
    return 1;
}

static fd_real *npy_data(file_in *in, fd_arena *a, const npy_head *h)
{
    const ptrdiff_t count = file_count(in, h->nd, h->n, h->type.size);
    fd_real *x = count < 0 ? NULL : fd_raw(a, fd_real, count);
    num_read(in, h->type, h->big, h->order, h->nd, h->n, count, x);
    return x;
}

static fd_array npy_body(file_in *in, fd_arena *a)
{
    fd_array r = { 0, { 0 }, NULL };
    npy_head h;
    if (!npy_begin(in, *a, &h)) return r;
    if (h.strange) {
        file_fail(in, h.strange == npy_dtype ? FD_EDATA : FD_ESHAPE, h.strange,
                  h.strange == npy_dtype ? h.descr : NULL);
        return r;
    }
    r.x = npy_data(in, a, &h);
    r.nd = h.nd;
    memcpy(r.n, h.n, sizeof r.n);
    return r;
}

/* --- IDX: 0, 0, type, number of axes, the extents, the data, all big-endian --- */

static fd_array idx_body(file_in *in, fd_arena *a)
{
    static const struct { int code; num_type t; } types[] = {
        { 0x08, { 'u', 1 } }, { 0x09, { 'i', 1 } }, { 0x0b, { 'i', 2 } },
        { 0x0c, { 'i', 4 } }, { 0x0d, { 'f', 4 } }, { 0x0e, { 'f', 8 } } };
    fd_array r = { 0, { 0 }, NULL }, got = r;
    num_type t = { 0, 0 };
    unsigned char m[4];
    if (!file_get(in, m, 4) || file_packed(in, m)) return r;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (m[2] == types[i].code) t = types[i].t;
    if (m[0] || m[1] || !t.kind) return file_fail(in, FD_EDATA, "not an IDX file", NULL), r;
    if (m[3] > FD_MAXD) return file_fail(in, FD_ESHAPE, "more than 6 axes", NULL), r;
    got.nd = m[3];
    for (int i = 0; i < got.nd; i++) {
        if (!file_get(in, m, 4)) return r;
        uint32_t v = (uint32_t)m[0] << 24 | (uint32_t)m[1] << 16 | (uint32_t)m[2] << 8 | m[3];
        if (v > INT_MAX) return file_fail(in, FD_ESHAPE, "an extent is too large", NULL), r;
        got.n[i] = (int)v;
    }
    ptrdiff_t count = file_count(in, got.nd, got.n, t.size);
    if (count < 0) return r;
    if ((uint64_t)count * (uint64_t)t.size != in->left)
        return file_fail(in, FD_EDATA, "file is longer than its header says", NULL), r;
    got.x = fd_raw(a, fd_real, count);
    num_read(in, t, 1, 0, got.nd, got.n, count, got.x);
    return got;
}

static fd_array file_array(fd_arena *a, const char *where, const char *path,
                           fd_array (*body)(file_in *in, fd_arena *a))
{
    fd_array r = { 0, { 0 }, NULL }, none = r;
    fd_arena before = *a;
    file_in in;
    if (file_open(&in, a->st, where, path)) r = body(&in, a);
    file_close(&in);
    if (!a->st->code) return r;
    *a = before;
    return none;
}

static fd_array file_either(file_in *in, fd_arena *a)
{
    unsigned char m[2];
    if (!file_get(in, m, 2) || !file_seek(in, 0, in->size)) return (fd_array){ 0, { 0 }, NULL };
    if (m[0] == 0x93) return npy_body(in, a);
    if (m[0] && !file_packed(in, m)) file_fail(in, FD_EDATA, "neither .npy nor IDX", NULL);
    return idx_body(in, a);
}

fd_array fd_npy_load(fd_arena *a, const char *path)
{
    return file_array(a, "fd_npy_load", path, npy_body);
}

fd_array fd_idx_load(fd_arena *a, const char *path)
{
    return file_array(a, "fd_idx_load", path, idx_body);
}

fd_array fd_load(fd_arena *a, const char *path)
{
    return file_array(a, "fd_load", path, file_either);
}

/* --- JSON, the part of it that a safetensors header may hold ---
 * A cursor over a text that ends with NUL, which no rule accepts, so no end is tested. Strings are
 * decoded where they stand, as decoding never makes them longer. The nesting that is allowed is in
 * the calls; anything deeper is a syntax error, so there is no recursion. */

typedef struct { char *p; const char *err; } json;

static const char json_syntax[] = "header is not the JSON that the format allows";

static int json_utf8(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + n;
    while (p < end) {
        unsigned c = *p++, k = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (c > 0xf4 || k > (size_t)(end - p)) return 0;
        if (k && ((c == 0xe0 && *p < 0xa0) || (c == 0xed && *p > 0x9f) ||       /* too long; */
                  (c == 0xf0 && *p < 0x90) || (c == 0xf4 && *p > 0x8f))) return 0;  /* surrogate */
        for (; k; k--) if ((*p++ & 0xc0) != 0x80) return 0;
    }
    return 1;
}

static void json_space(json *j)
{
    while (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r') j->p++;
}

static int json_take(json *j, char c)
{
    json_space(j);
    return !j->err && *j->p == c ? (j->p++, 1) : 0;
}

/* four hex digits, or -1 */
static int json_hex(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = p[i], d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = 16 * v + d;
    }
    return v;
}

static char *json_string(json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (!json_take(j, '"')) return j->err = json_syntax, NULL;
    char *start = j->p, *out = start;
    while (*j->p != '"') {
        unsigned char c = (unsigned char)*j->p;
        if (c < 0x20) return j->err = "a control character in a string of the header", NULL;
        j->p++;
        if (c != '\\') { *out++ = (char)c; continue; }
        const char *k = *j->p ? strchr(from, *j->p) : NULL;
        if (k) { *out++ = to[k - from]; j->p++; continue; }
        int u = *j->p == 'u' ? json_hex(j->p + 1) : -1;
        j->p += u < 0 ? 0 : 5;
        if (u >= 0xd800 && u < 0xdc00) {                    /* the first half of a pair */
            int v = j->p[0] == '\\' && j->p[1] == 'u' ? json_hex(j->p + 2) : -1;
            j->p += v < 0 ? 0 : 6;
            u = v >= 0xdc00 && v < 0xe000 ? 0x10000 + ((u - 0xd800) << 10) + (v - 0xdc00) : -1;
        } else if (u >= 0xdc00 && u < 0xe000) u = -1;
        if (u <= 0) return j->err = "a bad escape in the header", NULL;
        if (u < 0x80) *out++ = (char)u;
        else {
            int k1 = u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;   /* bytes that follow */
            *out++ = (char)((0xf00 >> (k1 + 1) & 0xff) | u >> 6 * k1);
            while (k1--) *out++ = (char)(0x80 | (u >> 6 * k1 & 0x3f));
        }
    }
    j->p++;
    *out = 0;
    return start;
}

/* a whole number, 0 <= v < 2^63 */
static uint64_t json_number(json *j)
{
    uint64_t v = 0;
    json_space(j);
    const char *start = j->p;
    for (; *j->p >= '0' && *j->p <= '9'; j->p++)
        v = v > (INT64_MAX - 9) / 10 ? UINT64_MAX / 20 : 10 * v + (uint64_t)(*j->p - '0');
    if (j->p == start || (*start == '0' && j->p > start + 1))
        j->err = "a number in the header is not a plain whole one";
    return v;
}

/* Entries of the object whose '{' was taken, none of which is shorter than `least`: its ':' outside
 * of strings and inner objects. So what is made for them is in proportion to the text, whatever it
 * holds. */
static int json_entries(const json *j, int least)
{
    ptrdiff_t n = 0, depth = 0, most;
    const char *p = j->p;
    for (; *p && depth >= 0; p++) {
        if (*p == '"') for (p++; *p && *p != '"'; p++) if (*p == '\\' && p[1]) p++;
        if (!*p) break;
        if (*p == '{' || *p == '[') depth++;
        if (*p == '}' || *p == ']') depth--;
        n += *p == ':' && !depth;
    }
    most = (p - j->p) / least + 1;
    return (int)(n < most ? n : most);
}

/* --- .safetensors: length of the header, JSON {name: {dtype, shape, data_offsets}}, data --- */

enum { SAFE_HEADER = 100000000 };      /* the largest header that the format's own readers accept */

typedef struct { uint64_t from, to; num_type t; } safe_span;

/* p[0..n-1] = 0..n-1 in the order of `before`: heap sort */
static void safe_sort(int n, int *p, int (*before)(const void *of, int i, int j), const void *of)
{
    for (int i = 0; i < n; i++) p[i] = i;
    for (int start = n / 2, end = n; end > 1; ) {
        if (start) start--;
        else { int last = p[--end]; p[end] = p[0]; p[0] = last; }
        int v = p[start], i = start, k;
        while ((k = 2 * i + 1) < end) {
            if (k + 1 < end && before(of, p[k], p[k + 1])) k++;
            if (!before(of, v, p[k])) break;
            p[i] = p[k];
            i = k;
        }
        p[i] = v;
    }
}

static int safe_by_name(const void *of, int i, int j)
{
    const fd_tensor *t = of;
    return strcmp(t[i].name, t[j].name) < 0;
}

static int safe_by_key(const void *of, int i, int j)
{
    const fd_meta *m = of;
    return strcmp(m[i].key, m[j].key) < 0;
}

static int safe_by_place(const void *of, int i, int j)
{
    const safe_span *s = of;
    return s[i].from != s[j].from ? s[i].from < s[j].from : s[i].to < s[j].to;
}

/* an error where two tensors have one name; order: room for one each */
static void tensors_unique(file_in *in, const fd_tensors *f, int *order)
{
    safe_sort(f->count, order, safe_by_name, f->tensor);
    for (int i = 1; i < f->count; i++) if (!safe_by_name(f->tensor, order[i - 1], order[i]))
        file_fail(in, FD_EDATA, "a name is there twice", f->tensor[order[i]].name);
}

/* Entries without numbers, x NULL, go to the list of the others; both lists keep their order. */
static void tensors_part(fd_arena *a, fd_tensors *f)
{
    int n = 0;
    if (a->st->code) return;
    for (int i = 0; i < f->count; i++) f->others += !f->tensor[i].x;
    if (!f->others) return;
    f->other = fd_raw(a, fd_tensor, f->others);
    if (!f->other) return;
    for (int i = 0; i < f->count; i++)
        if (f->tensor[i].x) f->tensor[n++] = f->tensor[i];
        else f->other[i - n] = f->tensor[i];
    f->count = n;
}

/* The value of one tensor, {"dtype":"F32","shape":[3,5],"data_offsets":[0,60]} in any order. Where
 * it is not one of numbers, or its shape none of ours, s->t.kind is 0 and t->type says why. */
static int safe_entry(file_in *in, json *j, fd_tensor *t, safe_span *s)
{
    const char *strange = NULL;
    int seen = 0, bit;
    if (!json_take(j, '{')) return 0;
    do {
        const char *key = json_string(j);
        if (!key || !json_take(j, ':')) return 0;
        if (!strcmp(key, "dtype")) {
            bit = 1;
            t->type = json_string(j);
            if (!t->type) return 0;
            s->t = num_type_of(t->type, 0);
        } else if (!strcmp(key, "shape")) {
            bit = 2;
            if (!json_take(j, '[')) return 0;
            t->nd = 0;
            if (!json_take(j, ']')) {
                do {
                    uint64_t v = json_number(j);
                    if (j->err) return 0;
                    if (t->nd == FD_MAXD) strange = npy_axes;
                    else if (v > INT_MAX) strange = npy_extent;
                    else t->n[t->nd++] = (int)v;
                } while (json_take(j, ','));
                if (!json_take(j, ']')) return 0;
            }
        } else if (!strcmp(key, "data_offsets")) {
            bit = 4;
            if (!json_take(j, '[')) return 0;
            s->from = json_number(j);
            if (!json_take(j, ',')) return 0;
            s->to = json_number(j);
            if (!json_take(j, ']')) return 0;
        } else return file_fail(in, FD_EDATA, "unknown field of a tensor", t->name), 0;
        if (seen & bit) return file_fail(in, FD_EDATA, "a field is there twice", t->name), 0;
        seen |= bit;
    } while (json_take(j, ','));
    if (!json_take(j, '}')) return 0;
    if (seen != 7)
        return file_fail(in, FD_EDATA, "dtype, shape or data_offsets is missing", t->name), 0;
    if (!strange && !num_pair(&s->t, &t->nd, t->n)) strange = npy_pairs;
    if (strange) {
        t->type = strange;
        t->nd = s->t.kind = 0;
    }
    return !j->err;
}

/* the header; 0 where it is malformed, with or without an error recorded yet */
static int safe_header(file_in *in, json *j, fd_arena *a, fd_tensors *f, safe_span **span)
{
    int have = 0;
    json_take(j, '{');                                       /* is there: see safe_head */
    /* {"":{"dtype":"","shape":[],"data_offsets":[0,0]}} */
    int room = json_entries(j, 46);
    f->tensor = fd_new(a, fd_tensor, room);
    *span = fd_new(a, safe_span, room);
    if (!*span) return 0;
    if (json_take(j, '}')) return 1;
    do {
        const char *key = json_string(j);
        if (!key || !json_take(j, ':')) return 0;
        if (strcmp(key, "__metadata__")) {
            fd_tensor *t = f->tensor + f->count;
            t->name = key;
            if (f->count == room || !safe_entry(in, j, t, *span + f->count)) return 0;
            f->count++;
            continue;
        }
        if (have++) return file_fail(in, FD_EDATA, "a name is there twice", key), 0;
        if (!json_take(j, '{')) return 0;
        int metas = json_entries(j, 5);
        f->meta = fd_new(a, fd_meta, metas);
        if (!f->meta) return 0;
        if (json_take(j, '}')) continue;
        do {
            fd_meta m = { NULL, NULL };
            m.key = json_string(j);
            if (!m.key || !json_take(j, ':')) return 0;
            m.value = json_string(j);
            if (!m.value || f->metas == metas) return 0;
            f->meta[f->metas++] = m;
        } while (json_take(j, ','));
        if (!json_take(j, '}')) return 0;
    } while (json_take(j, ','));
    return json_take(j, '}');
}

/* the text of the header, ended by 0, and its length; NULL with an error */
static char *safe_head(file_in *in, fd_arena *a, uint64_t *length)
{
    unsigned char b[8];
    if (!file_get(in, b, 8) || file_packed(in, b)) return NULL;
    const uint64_t len = num_whole(b, 8);
    if (len > SAFE_HEADER)
        return file_fail(in, FD_EDATA,
                         "no .safetensors file: its header would be larger than 100 MB", NULL),
               NULL;
    if (len > in->left) return file_fail(in, FD_EDATA, file_short, NULL), NULL;
    char *text = fd_raw(a, char, len + 1);
    if (!text || !file_get(in, text, len)) return NULL;
    text[len] = 0;
    if (text[0] != '{')
        return file_fail(in, FD_EDATA, "header does not start with {", NULL), NULL;
    if (!json_utf8(text, (size_t)len))
        return file_fail(in, FD_EDATA, "header is not UTF-8", NULL), NULL;
    *length = len;
    return text;
}

/* No name is there twice, and the tensors fill the data without a hole; order: their places. */
static void safe_check(file_in *in, const fd_tensors *f, const safe_span *span, int *order)
{
    uint64_t at = 0;
    safe_sort(f->metas, order, safe_by_key, f->meta);
    for (int i = 1; i < f->metas; i++) if (!safe_by_key(f->meta, order[i - 1], order[i]))
        file_fail(in, FD_EDATA, "a name is there twice", f->meta[order[i]].key);
    tensors_unique(in, f, order);
    safe_sort(f->count, order, safe_by_place, span);
    for (int i = 0; i < f->count; i++) {
        const safe_span *s = span + order[i];
        const char *name = f->tensor[order[i]].name;
        if (s->to < s->from || s->to > in->left)
            file_fail(in, FD_EDATA, "offsets are not in the data", name);
        if (s->from != at) file_fail(in, FD_EDATA, "a hole or an overlap before", name);
        at = s->to;
    }
    if (at != in->left) file_fail(in, FD_EDATA, "data goes on after the last tensor", NULL);
}

static void safe_body(file_in *in, fd_arena *a, fd_tensors *f)
{
    uint64_t len = 0;
    safe_span *span = NULL;
    char *text = safe_head(in, a, &len);
    if (!text) return;
    json j = { text, NULL };
    int ok = safe_header(in, &j, a, f, &span);
    json_space(&j);
    if (!ok || j.p != text + len) {
        file_fail(in, FD_EDATA, j.err ? j.err : json_syntax, NULL);
        return;
    }

    fd_arena scratch = *a;
    int *order = fd_raw(&scratch, int, f->count > f->metas ? f->count : f->metas);
    if (!order) return;
    safe_check(in, f, span, order);

    /* The data lie behind `order`, which is read to the end: so it stays in the arena. */
    *a = scratch;
    for (int i = 0; i < f->count && !in->st->code; i++) {
        fd_tensor *t = f->tensor + order[i];
        const safe_span *s = span + order[i];
        if (!s->t.kind) {
            file_skip(in, s->to - s->from);
            continue;
        }
        ptrdiff_t count = file_count(in, t->nd, t->n, s->t.size);
        if (count < 0) return;
        if ((uint64_t)count * (uint64_t)s->t.size != s->to - s->from) {
            file_fail(in, FD_EDATA, "shape and data_offsets disagree", t->name);
            return;
        }
        t->x = fd_raw(a, fd_real, count);
        num_read(in, s->t, 0, 0, t->nd, t->n, count, t->x);
    }
    tensors_part(a, f);
}

static ptrdiff_t tensor_count(const fd_tensor *t)
{
    ptrdiff_t count = 1;
    for (int d = 0; d < t->nd; d++) count *= t->n[d];
    return count;
}

static void safe_text(file_out *o, const char *s) { file_put(o, s, strlen(s)); }

static void safe_whole(file_out *o, uint64_t v)
{
    char d[24];
    sprintf(d, "%llu", (unsigned long long)v);
    safe_text(o, d);
}

static void safe_string(file_out *o, const char *s)
{
    safe_text(o, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char e[7] = { (char)c, 0 };
        if (c == '"' || c == '\\') { e[0] = '\\'; e[1] = (char)c; }
        else if (c < 0x20) sprintf(e, "\\u%04x", c);
        safe_text(o, e);
    }
    safe_text(o, "\"");
}

static void safe_json(file_out *o, const fd_tensors *f)
{
    uint64_t at = 0;
    safe_text(o, "{");
    for (int i = 0; i < f->metas; i++) {
        safe_text(o, i ? "," : "\"__metadata__\":{");
        safe_string(o, f->meta[i].key);
        safe_text(o, ":");
        safe_string(o, f->meta[i].value);
    }
    if (f->metas) safe_text(o, f->count ? "}," : "}");
    for (int i = 0; i < f->count; i++) {
        const fd_tensor *t = f->tensor + i;
        safe_text(o, i ? "," : "");
        safe_string(o, t->name);
        safe_text(o, sizeof(fd_real) == 4 ? ":{\"dtype\":\"F32\",\"shape\":["
                                          : ":{\"dtype\":\"F64\",\"shape\":[");
        for (int d = 0; d < t->nd; d++) {
            safe_text(o, d ? "," : "");
            safe_whole(o, (uint64_t)t->n[d]);
        }
        safe_text(o, "],\"data_offsets\":[");
        safe_whole(o, at);
        safe_text(o, ",");
        safe_whole(o, at += (uint64_t)tensor_count(t) * sizeof(fd_real));
        safe_text(o, "]}");
    }
    safe_text(o, "}");
}

/* A string that stands twice among n of them, or NULL. Without memory to sort them: in each pass
 * the table takes those of one part of all hashes, so many that passes are few. */
enum { NAME_ROOM = 2048 };
static const char *name_twice(int n, const char *(*get)(const void *of, int i), const void *of)
{
    int table[NAME_ROOM];
    const uint32_t passes = (uint32_t)n / (NAME_ROOM / 3) + 1;
    for (uint32_t pass = 0; pass < passes; pass++) {
        int have = 0;
        for (int i = 0; i < NAME_ROOM; i++) table[i] = -1;
        for (int i = 0; i < n; i++) {
            const char *name = get(of, i);
            uint32_t h = 2166136261u;                        /* FNV-1a */
            for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 16777619u;
            if (h % passes != pass) continue;
            uint32_t at = h / passes % NAME_ROOM;
            for (; table[at] >= 0; at = (at + 1) % NAME_ROOM)
                if (!strcmp(get(of, table[at]), name)) return name;
            if (++have < NAME_ROOM) table[at] = i;
            else
                for (int j = 0; j < i; j++)                  /* names made to collide: one by one */
                    if (!strcmp(get(of, j), name)) return name;
        }
    }
    return NULL;
}

static const char *name_tensor(const void *of, int i) { return ((const fd_tensor *)of)[i].name; }
static const char *name_key(const void *of, int i) { return ((const fd_meta *)of)[i].key; }

/* what cannot be written: no shape, no data, no name or one twice */
static int tensors_check(fd_status *st, const char *where, const fd_tensors *f)
{
    if (st->code) return st->code;
    for (int i = 0; i < f->count; i++) {
        const fd_tensor *t = f->tensor + i;
        ptrdiff_t count = num_shape(st, where, t->name, t->nd, t->n);
        if (count < 0) return st->code;
        if (count && !t->x) return fd_fail_name(st, FD_EARG, where, "no data", t->name);
        if (!json_utf8(t->name, strlen(t->name)) || !strcmp(t->name, "__metadata__"))
            return fd_fail_name(st, FD_EARG, where, "not a name for a tensor", t->name);
    }
    const char *twice = name_twice(f->count, name_tensor, f->tensor);
    if (twice) fd_fail_name(st, FD_EARG, where, "a name is there twice", twice);
    return st->code;
}

int fd_tensors_save(fd_status *st, const char *path, const fd_tensors *f)
{
    static const char where[] = "fd_tensors_save";
    file_out o;
    if (st->code) return st->code;
    for (int i = 0; i < f->metas; i++) {
        const char *key = f->meta[i].key, *value = f->meta[i].value;
        if (!json_utf8(key, strlen(key)) || !json_utf8(value, strlen(value)))
            return fd_fail_name(st, FD_EARG, where, "metadata are not UTF-8", key);
    }
    const char *twice = name_twice(f->metas, name_key, f->meta);
    if (twice) return fd_fail_name(st, FD_EARG, where, "a name is there twice", twice);
    if (tensors_check(st, where, f)) return st->code;
    o.f = NULL, o.crc = NULL, o.put = 0;                    /* first it is only counted */
    safe_json(&o, f);
    uint64_t text = o.put, len = text + (0 - text) % 8;
    while ((8 + len) % 64) len += 8;                        /* data from a multiple of 64 */
    if (len > SAFE_HEADER)
        return fd_fail_name(st, FD_EARG, where, "header is larger than 100 MB", path);
    if (!file_begin(&o, st, where, path)) return st->code;
    num_put(&o, len, 8);
    safe_json(&o, f);
    for (; text < len; text++) file_put(&o, " ", 1);
    for (int i = 0; i < f->count; i++) num_write(&o, tensor_count(f->tensor + i), f->tensor[i].x);
    return file_end(&o);
}

/* --- .npz: a zip of .npy files, "name.npy" each, without compression ---
 * Read from the directory at the end, which holds every size and place, whatever the writer put
 * into the headers before the data (zip64 fields that nobody needs, sizes that follow only behind
 * the data). */

static const char zip_bad[] = "malformed zip";

/* The place of the record at the end, 22 bytes and a comment that fills the file; else an error */
static uint64_t zip_end(file_in *in, fd_arena scratch, unsigned char end[22])
{
    for (uint64_t most = 22; ; most += 65535) {
        uint64_t n = in->size < most ? in->size : most;
        unsigned char *p = fd_raw(&scratch, unsigned char, n);
        if (!p || !file_seek(in, in->size - n, n) || !file_get(in, p, n)) return 0;
        for (uint64_t i = n; i >= 22; i--)
            if (!memcmp(p + n - i, "PK\5\6", 4) && num_whole(p + n - i + 20, 2) == i - 22)
                return memcpy(end, p + n - i, 22), in->size - i;
        if (most > 22) return file_fail(in, FD_EDATA, "cut short: a zip without its end", NULL), 0;
    }
}

/* Entries of the directory, its place and length; 0 with an error. With sizes or counts that do
 * not fit into the record at the end, another one before it has them all [zip64]. */
static int zip_directory(file_in *in, fd_arena scratch, uint64_t *count, uint64_t *at,
                         uint64_t *len)
{
    unsigned char e[56];
    uint64_t end = zip_end(in, scratch, e);
    if (in->st->code) return 0;
    *count = num_whole(e + 10, 2);
    *len = num_whole(e + 12, 4);
    *at = num_whole(e + 16, 4);
    if (*count == 0xffff || *len == 0xffffffff || *at == 0xffffffff) {
        if (end < 20 || !file_seek(in, end - 20, 20) || !file_get(in, e, 20)
            || memcmp(e, "PK\6\7", 4))
            return file_fail(in, FD_EDATA, zip_bad, NULL), 0;
        end = num_whole(e + 8, 8);
        if (!file_seek(in, end, 56) || !file_get(in, e, 56)) return 0;
        if (memcmp(e, "PK\6\6", 4)) return file_fail(in, FD_EDATA, zip_bad, NULL), 0;
        *count = num_whole(e + 32, 8);
        *len = num_whole(e + 40, 8);
        *at = num_whole(e + 48, 8);
    }
    if (*at > end || *len > end - *at || *count > *len / 46 || *count > INT_MAX)
        return file_fail(in, FD_EDATA, zip_bad, NULL), 0;
    return 1;
}

typedef struct { uint64_t at, size; uint32_t crc; } zip_span;

static const char zip_other[] = "not .npy";

/* One entry of the directory, at p of n bytes: its length, or 0 with an error. Its name, without
 * .npy, is ended where it stands, or where it has no .npy, in front of there. */
static uint64_t zip_entry(file_in *in, unsigned char *p, uint64_t n, fd_tensor *t, zip_span *s)
{
    if (n < 46 || memcmp(p, "PK\1\2", 4)) return file_fail(in, FD_EDATA, zip_bad, NULL), 0;
    uint64_t name = num_whole(p + 28, 2), extra = num_whole(p + 30, 2);
    uint64_t all = 46 + name + extra + num_whole(p + 32, 2), packed = num_whole(p + 20, 4);
    int flags = p[8], method = (int)num_whole(p + 10, 2);
    if (all > n) return file_fail(in, FD_EDATA, zip_bad, NULL), 0;
    unsigned char *end = p + 46 + name, *stop = end + extra;
    *s = (zip_span){ num_whole(p + 42, 4), num_whole(p + 24, 4),
                     (uint32_t)num_whole(p + 16, 4) };
    for (unsigned char *x = end; stop - x >= 4; x += 4 + num_whole(x + 2, 2)) {
        uint64_t *wide[3] = { &s->size, &packed, &s->at }, len = num_whole(x + 2, 2), k = 0;
        if (len > (uint64_t)(stop - x - 4)) break;
        for (int i = 0; i < 3 && num_whole(x, 2) == 1; i++)    /* zip64: those that are all ones */
            if (*wide[i] == 0xffffffff && k + 8 <= len) {
                *wide[i] = num_whole(x + 4 + k, 8);
                k += 8;
            }
    }
    t->name = (char *)p + 46;
    if (memchr(t->name, 0, name)) return file_fail(in, FD_EDATA, "a name with a byte 0", NULL), 0;
    if (name < 4 || memcmp(end - 4, ".npy", 4)) {
        t->name = memmove(p + 45, t->name, name);
        t->type = zip_other;
        end[-1] = 0;
    } else end[-4] = 0;
    if (!json_utf8(t->name, strlen(t->name))) file_fail(in, FD_EDATA, "a name is not UTF-8", NULL);
    else if (t->type) return all;
    else if (flags & 1) file_fail(in, FD_EDATA, "encrypted entry", t->name);
    else if (method)
        file_fail(in, FD_EDATA, "compressed entry: save with numpy.savez, not savez_compressed",
                  t->name);
    else if (packed != s->size) file_fail(in, FD_EDATA, zip_bad, t->name);
    return in->st->code ? 0 : all;
}

/* the array that an entry holds: behind its own header, whose name and extra field may differ */
static void zip_array(file_in *in, fd_arena *a, fd_tensor *t, const zip_span *s)
{
    unsigned char h[30], rest[4096];
    uint32_t crc = 0;
    in->part = t->name;
    if (!file_seek(in, s->at, 30) || !file_get(in, h, 30)) return;
    uint64_t skip = 30 + num_whole(h + 26, 2) + num_whole(h + 28, 2);
    if (memcmp(h, "PK\3\4", 4)) file_fail(in, FD_EDATA, zip_bad, NULL);
    if (!file_seek(in, s->at + skip, s->size)) return;
    in->crc = &crc;
    npy_head n;
    if (!npy_begin(in, *a, &n)) return;
    char *type = fd_raw(a, char, strlen(n.descr) + 1);
    if (type) t->type = n.strange && n.strange != npy_dtype ? n.strange : strcpy(type, n.descr);
    if (!n.strange) {
        t->x = npy_data(in, a, &n);
        if (in->left) file_fail(in, FD_EDATA, "entry goes on after its array", NULL);
    }
    /* read for the sake of the checksum */
    for (uint64_t k; in->left && !in->st->code; ) {
        k = in->left < sizeof rest ? in->left : sizeof rest;
        file_get(in, rest, k);
    }
    if (crc != s->crc) file_fail(in, FD_EDATA, "damaged: its checksum is wrong", NULL);
    if (!n.strange || n.strange == npy_dtype) {
        t->nd = n.nd;
        memcpy(t->n, n.n, sizeof t->n);
    }
    in->crc = NULL;
    in->part = NULL;
}

static void zip_body(file_in *in, fd_arena *a, fd_tensors *f)
{
    uint64_t count, at, len, used = 0, k;
    int arrays = 0;
    if (!zip_directory(in, *a, &count, &at, &len)) return;
    unsigned char *p = fd_raw(a, unsigned char, len);                /* the names stay in it */
    f->tensor = fd_new(a, fd_tensor, count);
    zip_span *s = fd_raw(a, zip_span, count);
    int *order = fd_raw(a, int, count);
    if (!order || !file_seek(in, at, len) || !file_get(in, p, len)) return;
    for (f->count = 0; f->count < (int)count; f->count++, p += k, len -= k) {
        k = zip_entry(in, p, len, f->tensor + f->count, s + f->count);
        if (!k) return;
        used += s[f->count].size < in->size ? s[f->count].size : in->size;
        if (used > in->size) { file_fail(in, FD_EDATA, zip_bad, f->tensor[f->count].name); return; }
    }
    if (len) file_fail(in, FD_EDATA, zip_bad, NULL);
    tensors_unique(in, f, order);
    for (int i = 0; i < f->count && !in->st->code; i++)
        if (f->tensor[i].type != zip_other) zip_array(in, a, f->tensor + i, s + i), arrays++;
    if (f->count && !arrays) file_fail(in, FD_EDATA, "a zip without a .npy in it", NULL);
    tensors_part(a, f);
}

/* the header of an entry, before its data or, with its place, in the directory: they begin alike */
static void zip_header(file_out *o, const char *name, uint64_t size, uint32_t crc, int directory,
                       uint64_t at)
{
    num_put(o, directory ? 0x02014b50 : 0x04034b50, 4);
    num_put(o, 20, directory ? 2 : 0);
    num_put(o, 20, 2);
    num_put(o, 0x800, 2);                                   /* the name is UTF-8 */
    num_put(o, 0, 2);                                       /* stored */
    num_put(o, 0x210000, 4);                                /* 1 January 1980 */
    num_put(o, crc, 4);
    num_put(o, size, 4);
    num_put(o, size, 4);
    num_put(o, strlen(name) + 4, 2);
    num_put(o, 0, 2);
    num_put(o, 0, directory ? 8 : 0);
    num_put(o, 0, directory ? 2 : 0);
    num_put(o, at, directory ? 4 : 0);
    file_put(o, name, strlen(name));
    file_put(o, ".npy", 4);
}

static void zip_npy(file_out *o, const fd_tensor *t)
{
    char h[256];
    file_put(o, h, (size_t)npy_header(h, t->nd, t->n));
    num_write(o, tensor_count(t), t->x);
}

int fd_npz_save(fd_status *st, const char *path, const fd_tensors *f)
{
    static const char where[] = "fd_npz_save";
    uint64_t all = 0, start = 0;
    file_out o, none = { .f = NULL };
    char h[256];
    if (tensors_check(st, where, f)) return st->code;
    for (int i = 0; i < f->count; i++) {
        const fd_tensor *t = f->tensor + i;
        size_t name = strlen(t->name);
        all += 80 + 2 * name + (uint64_t)npy_header(h, t->nd, t->n)
             + (uint64_t)tensor_count(t) * sizeof(fd_real);
        if (name > 65000 || f->count > 65534 || all > 0xfffffff0)
            return fd_fail_name(st, FD_EARG, where,
                                "more than a zip without extensions holds: use .safetensors",
                                t->name);
    }
    if (!file_begin(&o, st, where, path)) return st->code;
    for (int directory = 0; directory < 2; directory++) {
        uint64_t at = 0;
        start = o.put;                                      /* in the end that of the directory */
        for (int i = 0; i < f->count; i++) {
            const fd_tensor *t = f->tensor + i;
            uint32_t crc = 0;
            none.crc = &crc, none.put = 0;
            zip_npy(&none, t);                              /* for its length and checksum */
            zip_header(&o, t->name, none.put, crc, directory, at);
            if (!directory) zip_npy(&o, t);
            at += 34 + strlen(t->name) + none.put;
        }
    }
    const uint64_t size = o.put - start;
    num_put(&o, 0x06054b50, 4);
    num_put(&o, 0, 4);
    num_put(&o, (uint64_t)f->count, 2);
    num_put(&o, (uint64_t)f->count, 2);
    num_put(&o, size, 4);
    num_put(&o, start, 4);
    num_put(&o, 0, 2);
    return file_end(&o);
}

fd_tensors fd_tensors_load(fd_arena *a, const char *path)
{
    fd_tensors f = { .count = 0 }, none = f;
    fd_arena before = *a;
    unsigned char m[4];
    file_in in;
    if (file_open(&in, a->st, "fd_tensors_load", path) && file_get(&in, m, 4)
        && file_seek(&in, 0, in.size)) {
        if (m[0] == 'P' && m[1] == 'K') zip_body(&in, a, &f);
        else safe_body(&in, a, &f);
    }
    file_close(&in);
    if (!a->st->code) return f;
    *a = before;
    return none;
}

const fd_tensor *fd_tensor_find(const fd_tensors *f, const char *name)
{
    for (int i = 0; f && i < f->count; i++)
        if (!strcmp(f->tensor[i].name, name)) return f->tensor + i;
    return NULL;
}

const fd_tensor *fd_tensor_need(fd_status *st, const char *where, const fd_tensors *f,
                                const char *name)
{
    const fd_tensor *t = st->code || !f ? NULL : fd_tensor_find(f, name);
    if (t || st->code) return t;
    for (int i = 0; f && i < f->others; i++)
        if (!strcmp(f->other[i].name, name))
            return fd_fail_name(st, FD_EDATA, where, "not numbers", name), NULL;
    return fd_fail_name(st, FD_EDATA, where, "missing tensor", name), NULL;
}

const char *fd_meta_find(const fd_tensors *f, const char *key)
{
    for (int i = 0; f && i < f->metas; i++)
        if (!strcmp(f->meta[i].key, key)) return f->meta[i].value;
    return NULL;
}

/* --- Text --- */

int fd_text_save(fd_status *st, const char *path, const char *text)
{
    file_out o;
    if (st->code || !text || !file_begin(&o, st, "fd_text_save", path)) return st->code;
    file_put(&o, text, strlen(text));
    return file_end(&o);
}

int fd_csv_save(fd_status *st, const char *path, int cols, const char *const name[], int rows,
                const double *x)
{
    file_out o;
    if (cols < 0 || rows < 0 || (cols && !name))
        FD_FAIL(st, FD_EARG, "fd_csv_save", "not a table: columns, rows", cols, rows);
    if (st->code || !x || !file_begin(&o, st, "fd_csv_save", path)) return st->code;
    for (int c = 0; c < cols; c++) {
        int quote = strpbrk(name[c], "\",\r\n") != NULL;
        file_put(&o, "," , c > 0);
        file_put(&o, "\"", quote);
        for (const char *p = name[c]; *p; p++) {
            file_put(&o, "\"", *p == '"');                  /* doubled inside quotes */
            file_put(&o, p, 1);
        }
        file_put(&o, "\"", quote);
    }
    file_put(&o, "\n", 1);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)rows * cols; i++) {
        char num[40];
        int n = x[i] != x[i] ? sprintf(num, "nan") : sprintf(num, "%.9g", x[i]);
        char *comma = strchr(num, ',');                     /* the point of some locales */
        if (comma) *comma = '.';
        num[n++] = (i + 1) % cols ? ',' : '\n';
        file_put(&o, num, (size_t)n);
    }
    return file_end(&o);
}
#endif /* FD_NO_STDIO */

/* ---- Pictures -----------------------------------------------------------------------------------
 *
 * A colour map is a row of equally spaced colours, straight lines between them. Viridis: every 15th
 * of its 256 entries, within 2 of the others. What is not a number is magenta, in no map. */

static const unsigned char map_gray[][3] = { { 0, 0, 0 }, { 255, 255, 255 } };
static const unsigned char map_inverse[][3] = { { 255, 255, 255 }, { 0, 0, 0 } };
static const unsigned char map_viridis[][3] = {
    {  68,   1,  84 }, {  72,  23, 105 }, {  71,  42, 122 }, {  67,  61, 132 }, {  61,  78, 138 },
    {  53,  94, 141 }, {  46, 109, 142 }, {  41, 123, 142 }, {  35, 137, 142 }, {  31, 151, 139 },
    {  33, 165, 133 }, {  46, 179, 124 }, {  70, 192, 111 }, { 101, 203,  94 }, { 137, 213,  72 },
    { 176, 221,  47 }, { 216, 226,  25 }, { 253, 231,  37 } };
static const unsigned char map_diverging[][3] = {
    {   8,  48, 112 }, {  36, 110, 184 }, { 146, 193, 226 }, { 255, 255, 255 }, { 240, 168, 142 },
    { 200,  58,  52 }, { 112,   8,  32 } };

void fd_colour(int map, double u, unsigned char rgb[3])
{
    static const struct { const unsigned char (*c)[3]; int n; } maps[] = {
#define ROW(m) { m, (int)(sizeof m / sizeof m[0]) }
        ROW(map_gray), ROW(map_inverse), ROW(map_viridis), ROW(map_diverging) };
#undef ROW
    if (u != u || map < 0 || map >= (int)(sizeof maps / sizeof maps[0])) {
        rgb[0] = rgb[2] = 255;
        rgb[1] = 0;
        return;
    }
    int last = maps[map].n - 1;
    double v = (u < 0 ? 0 : u > 1 ? 1 : u) * last;
    int i = v < last ? (int)v : last - 1;
    for (int c = 0; c < 3; c++) {
        double lo = maps[map].c[i][c], hi = maps[map].c[i + 1][c];
        rgb[c] = (unsigned char)(lo + (hi - lo) * (v - i) + 0.5);
    }
}

#ifndef FD_NO_STDIO
/* The one place of the library where malloc is called, from within this package. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

enum { PNG_SIDE = 1 << 24, PNG_BYTES = 1 << 28 };           /* the package counts in int */

static void png_put(void *o, void *data, int size) { file_put(o, data, (size_t)size); }

int fd_png_save(fd_status *st, const char *path, int h, int w, const unsigned char *rgb)
{
    file_out o;
    if (st->code || !rgb) return st->code;
    if (h < 1 || w < 1 || w > PNG_SIDE || h > PNG_BYTES / (3 * w + 1))
        return FD_FAIL(st, FD_ESHAPE, "fd_png_save", "not a size for a picture", h, w);
    if (!file_begin(&o, st, "fd_png_save", path)) return st->code;
    if (!stbi_write_png_to_func(png_put, &o, w, h, 3, rgb, 3 * w))
        fd_fail_name(st, FD_EIO, "fd_png_save", "cannot encode", path);
    return file_end(&o);
}

int fd_png_sheet(fd_status *st, const char *path, int count, int cols, int h, int w,
                 const fd_real *x, double lo, double hi, int map, int zoom, fd_arena scratch)
{
    const int side[5] = { count, cols, h, w, zoom };
    int64_t H = 0, W = 0;
    int bad = zoom > 4096;
    if (st->code || !x) return st->code;
    if (map < FD_GRAY || map > FD_DIVERGING)
        return FD_FAIL(st, FD_EARG, "fd_png_sheet", "unknown colour map", map);
    for (int i = 0; i < 5; i++) bad |= side[i] < 1 || side[i] > PNG_SIDE;
    if (!bad) {
        const int64_t rows = (count - 1) / cols + 1;
        H = (rows * h + 2 * (rows - 1)) * zoom;
        W = ((int64_t)cols * w + 2 * (cols - 1)) * zoom;
    }
    if (bad || W > PNG_SIDE || H > PNG_BYTES / (3 * W + 1))
        return FD_FAIL(st, FD_ESHAPE, "fd_png_sheet", "not a size for a picture", H, W);
    unsigned char *rgb = fd_raw(&scratch, unsigned char, 3 * H * W);
    if (!rgb) return FD_FAIL(st, FD_ENOMEM, "fd_png_sheet", "arena too small");
    memset(rgb, 255, (size_t)(3 * H * W));
    for (int f = 0; f < count; f++)
        for (int i = 0; i < h * zoom; i++)
            for (int j = 0; j < w * zoom; j++) {
                double v = (double)x[((ptrdiff_t)f * h + i / zoom) * w + j / zoom];
                double u = hi == lo && v == v ? 0.5 : (v - lo) / (hi - lo);
                ptrdiff_t Y = (ptrdiff_t)(f / cols) * (h + 2) * zoom + i;
                ptrdiff_t X = (ptrdiff_t)(f % cols) * (w + 2) * zoom + j;
                fd_colour(map, u, rgb + 3 * (Y * W + X));
            }
    return fd_png_save(st, path, (int)H, (int)W, rgb);
}
#endif

/* ---- Metrics ------------------------------------------------------------------------------------
 *
 * Two samples of functions, x [m][ch][points] and y [n][ch][points]; |.| is the norm of L2, all
 * channels together. Sums over pairs are taken in double: a row of the matrix of pairs is one
 * independent output, rows are added in order. What is not defined (one function has no variance)
 * is NaN. */

enum { MET_ROWS = 64, MET_BATCH = 16, MET_PROJ = 64, MET_WORK = 200000 };

/* call for i = 0..n-1, in threads where `work` multiplications or so are worth waking them */
#define MET_EACH(i, n, work, call)               \
    FD_PARALLEL_IF((double)(work) >= MET_WORK)   \
    for (ptrdiff_t i = 0; i < (n); i++) call

static int met_failed(const fd_space *s, const fd_status *st)
{
    return !s || (!s->nd && !s->basis) || (st && st->code);
}

/* |x - y|^2 */
static double met_dist2(const fd_space *s, const fd_real *x, const fd_real *y)
{
    double sum[FD_LANES] = { 0 };
    ptrdiff_t n = fd_size(s);
    if (s->weight) {
        for (ptrdiff_t i = 0; i < n; i++) {
            double d = (double)x[i] - (double)y[i];
            sum[i % FD_LANES] += (double)s->weight[i % s->points] * d * d;
        }
    } else {
        ptrdiff_t i = 0;
        for (; i + FD_LANES <= n; i += FD_LANES)
            for (int l = 0; l < FD_LANES; l++) {
                double d = (double)x[i + l] - (double)y[i + l];
                sum[l] += d * d;
            }
        for (; i < n; i++) {
            double d = (double)x[i] - (double)y[i];
            sum[i % FD_LANES] += d * d;
        }
    }
    return lanes_sum(sum) * (s->weight ? 1 : s->h);
}

/* sum_j f(|x - y_j|^2): f is exp(-d2/(2 bw^2)), or the distance itself where bw = 0 */
static double met_row(const fd_space *s, const fd_real *x, ptrdiff_t n, const fd_real *y, double bw)
{
    double sum = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double d2 = met_dist2(s, x, y + j * fd_size(s));
        sum += bw > 0 ? exp(-d2 / (2 * bw * bw)) : sqrt(d2);
    }
    return sum;
}

/* the mean of f over all pairs x_i, y_j, or where y is NULL over those x_i, x_j with i < j */
static double met_pairs(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y,
                        double bw)
{
    ptrdiff_t size = fd_size(s);
    double row[MET_ROWS], total = 0;
    for (ptrdiff_t from = 0; from < m; from += MET_ROWS) {
        ptrdiff_t rows = m - from < MET_ROWS ? m - from : MET_ROWS;
        const fd_real *z = x + from * size;
        if (y) MET_EACH(i, rows, (double)(rows * n) * (double)size,
                        row[i] = met_row(s, z + i * size, n, y, bw));
        else MET_EACH(i, rows, (double)(rows * (m - from)) * (double)size,
                      row[i] = met_row(s, z + i * size, m - from - i - 1, z + (i + 1) * size, bw));
        for (ptrdiff_t i = 0; i < rows; i++) total += row[i];
    }
    return total / (y ? (double)m * n : 0.5 * m * (m - 1.0));
}

/* ascending, stable; by merging runs of 1, 2, 4, ...; tmp[n] */
static void met_sort(ptrdiff_t n, double *x, double *tmp)
{
    double *from = x, *to = tmp;
    for (ptrdiff_t run = 1; run < n; run *= 2) {
        for (ptrdiff_t lo = 0; lo < n; lo += 2 * run) {
            ptrdiff_t mid = lo + run < n ? lo + run : n, hi = mid + run < n ? mid + run : n;
            for (ptrdiff_t i = lo, j = mid, k = lo; k < hi; k++)
                to[k] = j >= hi || (i < mid && from[i] <= from[j]) ? from[i++] : from[j++];
        }
        double *t = from; from = to; to = t;
    }
    if (from != x) memcpy(x, from, (size_t)n * sizeof *x);
}

/* The coefficients of b functions of x from the first one, MET_BATCH at most, [b][ch][modes]. A
 * transform of several functions at once fills the vectors; a batch of all would fill the arena. */
static void met_modes(const fd_space *s, int m, const fd_real *x, int first, fd_real *u,
                      fd_arena scratch)
{
    int b = m - first < MET_BATCH ? m - first : MET_BATCH;
    fd_to_modes(s, b, x + first * fd_size(s), u, scratch);
}

void fd_spectrum(const fd_space *s, int b, const fd_real *x, int bins, double *e, fd_arena scratch)
{
    if (met_failed(s, scratch.st) || !x || !e) return;
    if (s->basis) {
        FD_FAIL(scratch.st, FD_EARG, "fd_spectrum", "a dense space has no wavenumbers");
        return;
    }
    ptrdiff_t modes = s->modes, per = s->ch * modes;
    int *bin = fd_raw(&scratch, int, modes);
    double *sum = fd_new(&scratch, double, bins > 0 ? bins : 0);
    fd_real *u = fd_raw(&scratch, fd_real, MET_BATCH * per);
    if (!u) return;
    for (ptrdiff_t k = 0; k < modes; k++) bin[k] = (int)floor(fd_wave(s, k, NULL) + 0.5);
    for (int i = 0; i < b; i += MET_BATCH) {
        met_modes(s, b, x, i, u, scratch);
        if (scratch.st->code) return;
        for (ptrdiff_t k = 0; k < per * (b - i < MET_BATCH ? b - i : MET_BATCH); k++)
            if (bin[k % modes] < bins) sum[bin[k % modes]] += (double)u[k] * (double)u[k] / b;
    }
    for (int j = 0; j < bins; j++) e[j] = sum[j];
}

/* Rows enter one at a time. u, v are prices, cost_ij - u_i - v_j >= 0, and 0 on what is assigned:
 * the cheapest path from the new row to a free column, by Dijkstra's rule over columns, changes
 * them. */
double fd_assignment(int n, const double *cost, int *to, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (st->code) return NAN;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n * n; i++)
        if (!(fabs(cost[i]) <= DBL_MAX / (4. * n)))   /* what follows is at most 4 and n of them */
            return FD_FAIL(st, FD_EDATA, "fd_assignment",
                           "a cost is not finite, or too large to be added up; row, column", i / n,
                           i % n), NAN;
    double *u = fd_new(&scratch, double, n), *v = fd_new(&scratch, double, n);
    double *near = fd_raw(&scratch, double, n), sum = 0;
    int *row = fd_raw(&scratch, int, n), *from = fd_raw(&scratch, int, n);
    char *done = fd_raw(&scratch, char, n);
    if (!done) return NAN;
    for (int j = 0; j < n; j++) row[j] = -1;
    for (int first = 0; first < n; first++) {
        int i = first, last = -1, end = -1;                /* the row and the column now at hand */
        for (int j = 0; j < n; j++) near[j] = INFINITY, done[j] = 0, from[j] = -1;
        while (end < 0) {
            double step = INFINITY;
            int next = -1;
            for (int j = 0; j < n; j++) {
                if (done[j]) continue;
                double left = cost[(ptrdiff_t)i * n + j] - u[i] - v[j];
                if (left < near[j]) near[j] = left, from[j] = last;
                if (near[j] < step) step = near[j], next = j;          /* it is finite */
            }
            u[first] += step;
            for (int j = 0; j < n; j++) {
                if (done[j]) u[row[j]] += step, v[j] -= step;
                else near[j] -= step;
            }
            done[next] = 1, last = next, i = row[next];
            if (i < 0) end = next;
        }
        for (int j = end; j >= 0; j = from[j]) row[j] = from[j] < 0 ? first : row[from[j]];
    }
    for (int j = 0; j < n; j++) to[row[j]] = j;
    for (int i = 0; i < n; i++) sum += cost[(ptrdiff_t)i * n + to[i]];
    return sum;
}

double fd_energy_distance(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y)
{
    if (met_failed(s, NULL) || !x || !y || m < 2 || n < 2) return NAN;
    return 2 * met_pairs(s, m, x, n, y, 0) - met_pairs(s, m, x, 0, NULL, 0)
                                           - met_pairs(s, n, y, 0, NULL, 0);
}

/* |z_i - z_j|^2 for j > i of the samples x and y in a row, behind those of the smaller i */
static void met_further(const fd_space *s, ptrdiff_t i, ptrdiff_t m, const fd_real *x, ptrdiff_t N,
                        const fd_real *y, double *d)
{
    ptrdiff_t size = fd_size(s);
    const fd_real *zi = i < m ? x + i * size : y + (i - m) * size;
    double *row = d + i * (2 * N - i - 1) / 2;               /* rows before: N-1, N-2, .. entries */
    for (ptrdiff_t j = i + 1; j < N; j++)
        row[j - i - 1] = met_dist2(s, zi, j < m ? x + j * size : y + (j - m) * size);
}

/* the median of the distances of both samples together; < 0 where it failed */
static double met_median(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y,
                         fd_arena scratch)
{
    ptrdiff_t N = (ptrdiff_t)m + n, count = N * (N - 1) / 2;
    double *d = fd_raw(&scratch, double, count);
    if (!d) return -1;
    MET_EACH(i, N, (double)count * (double)fd_size(s), met_further(s, i, m, x, N, y, d));
    for (ptrdiff_t i = 0; i < count; i++) if (!(d[i] >= 0)) {
        FD_FAIL(scratch.st, FD_ENAN, "fd_mmd2", "a distance is not a number");
        return -1;
    }
    ptrdiff_t mid = count / 2, lo = 0, hi = count - 1;       /* d[mid] in place by quickselect */
    while (lo < hi) {
        double pivot = d[lo + (hi - lo) / 2];
        ptrdiff_t i = lo, j = hi;
        while (i <= j) {
            while (d[i] < pivot) i++;
            while (d[j] > pivot) j--;
            if (i <= j) { double t = d[i]; d[i++] = d[j]; d[j--] = t; }
        }
        if (mid <= j) hi = j;
        else if (mid >= i) lo = i;
        else break;
    }
    double below = d[mid];
    if (count % 2 == 0) {
        below = 0;
        for (ptrdiff_t i = 0; i < mid; i++) if (d[i] > below) below = d[i];
    }
    return 0.5 * (sqrt(d[mid]) + sqrt(below));
}

double fd_mmd2(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y, double bw,
               fd_arena scratch)
{
    if (met_failed(s, scratch.st) || !x || !y) return NAN;
    if (m < 2 || n < 2)
        return FD_FAIL(scratch.st, FD_EARG, "fd_mmd2",
                       "needs two functions of each kind", m, n), NAN;
    if (!(bw > 0)) {
        bw = met_median(s, m, x, n, y, scratch);
        if (bw == 0)
            FD_FAIL(scratch.st, FD_EDATA, "fd_mmd2", "the median distance is 0");
        if (!(bw > 0)) return NAN;
    }
    return met_pairs(s, m, x, 0, NULL, bw) + met_pairs(s, n, y, 0, NULL, bw)
         - 2 * met_pairs(s, m, x, n, y, bw);
}

/* int_0^1 (F^-1(q) - G^-1(q))^2 dq of two sorted samples; q runs in units of 1/(m n) */
static double met_quantiles(int m, const double *x, int n, const double *y)
{
    int64_t at = 0, end = (int64_t)m * n;
    double sum = 0;
    for (int i = 0, j = 0; at < end; ) {
        int64_t xi = (int64_t)(i + 1) * n, yj = (int64_t)(j + 1) * m, to = xi < yj ? xi : yj;
        sum += (double)(to - at) * (x[i] - y[j]) * (x[i] - y[j]);
        i += to == xi;
        j += to == yj;
        at = to;
    }
    return sum / (double)end;
}

/* theta_i = g_i / (sqrt(w_i) |g|) is uniform on the unit sphere of L2, and <x, theta> the sum of
 * x_i times sqrt(w_i) g_i / |g|, which is what this makes. */
static void met_direction(const fd_space *s, fd_rng r, fd_real *g)
{
    ptrdiff_t size = fd_size(s);
    double norm = 0;
    fd_normal(r, size, g);
    for (ptrdiff_t i = 0; i < size; i++) norm += (double)g[i] * (double)g[i];
    for (ptrdiff_t i = 0; i < size; i++) {
        double w = s->weight ? (double)s->weight[i % s->points] : s->h;
        g[i] = (fd_real)(sqrt(w / norm) * (double)g[i]);
    }
}

/* the squared W2 of two samples of numbers; buf [m + n + max(m, n)] */
static double met_line(int m, const fd_real *x, int n, const fd_real *y, double *buf)
{
    double *a = buf, *b = a + m, *tmp = b + n;
    for (int i = 0; i < m; i++) a[i] = (double)x[i];
    for (int i = 0; i < n; i++) b[i] = (double)y[i];
    met_sort(m, a, tmp);
    met_sort(n, b, tmp);
    return met_quantiles(m, a, n, b);
}

double fd_sliced_w2(const fd_space *s, fd_rng r, int proj, int m, const fd_real *x, int n,
                    const fd_real *y, fd_arena scratch)
{
    if (met_failed(s, scratch.st) || !x || !y) return NAN;
    if (proj < 1 || m < 1 || n < 1)
        return FD_FAIL(scratch.st, FD_EARG, "fd_sliced_w2",
                       "needs directions and functions", proj, m, n), NAN;
    ptrdiff_t size = fd_size(s), most = m > n ? m : n, own = m + n + most;
    fd_real *dir = fd_raw(&scratch, fd_real, MET_PROJ * size);
    fd_real *px = fd_raw(&scratch, fd_real, MET_PROJ * (ptrdiff_t)m);
    fd_real *py = fd_raw(&scratch, fd_real, MET_PROJ * (ptrdiff_t)n);
    double *buf = fd_raw(&scratch, double, threads_most() * own), total = 0;
    if (!buf) return NAN;
    for (int from = 0; from < proj; from += MET_PROJ) {
        int k = proj - from < MET_PROJ ? proj - from : MET_PROJ;
        double w2[MET_PROJ];
        for (int p = 0; p < k; p++)
            met_direction(s, fd_stream(r, 'w', (uint32_t)(from + p)), dir + p * size);
        fd_gemm(0, 1, k, m, (int)size, 1, dir, (int)size, x, (int)size, 0, px, m, scratch);
        fd_gemm(0, 1, k, n, (int)size, 1, dir, (int)size, y, (int)size, 0, py, n, scratch);
        if (scratch.st->code) return NAN;
        MET_EACH(p, k, 30.0 * k * (m + n),
                 w2[p] = met_line(m, px + p * m, n, py + p * n, buf + threads_this() * own));
        for (int p = 0; p < k; p++) total += w2[p];
    }
    return total / proj;
}

/* row i of the covariance, by 1/(m-1), of coordinates u [m][p] with the given mean */
static void met_covary(int m, int p, const fd_real *u, const double *mean, ptrdiff_t i, double *row)
{
    for (int j = 0; j < p; j++) row[j] = 0;
    for (int f = 0; f < m; f++) {
        const fd_real *v = u + (ptrdiff_t)f * p;
        double d = ((double)v[i] - mean[i]) / (m - 1);
        for (int j = 0; j < p; j++) row[j] += d * ((double)v[j] - mean[j]);
    }
}

static void met_moments(int m, int p, const fd_real *u, double *mean, double *S)
{
    for (int i = 0; i < p; i++) {
        mean[i] = 0;
        for (int f = 0; f < m; f++) mean[i] += (double)u[(ptrdiff_t)f * p + i] / m;
    }
    MET_EACH(i, p, (double)m * p * p, met_covary(m, p, u, mean, i, S + i * p));
}

/* c = a B, a row of A B; with tb = 1 a B^T */
static void met_times(int p, const double *a, const double *B, int tb, double *c)
{
    for (int j = 0; j < p; j++) c[j] = 0;
    for (ptrdiff_t k = 0; k < p; k++)
        for (ptrdiff_t j = 0; j < p; j++) c[j] += a[k] * B[tb ? j * p + k : k * p + j];
}

double fd_frechet(const fd_space *s, int pcs, int m, const fd_real *x, int n, const fd_real *y,
                  fd_arena scratch)
{
    if (met_failed(s, scratch.st) || !x || !y) return NAN;
    if (m < 2 || n < 2 || pcs < 1)
        return FD_FAIL(scratch.st, FD_EARG, "fd_frechet",
                       "needs components and two functions of each", pcs, m, n), NAN;
    const fd_cov *c = fd_cov_pca(&scratch, s, n, y, pcs, NULL);
    if (!c) return NAN;
    int p = (int)(c->s.ch * c->s.modes);
    ptrdiff_t p2 = (ptrdiff_t)p * p;
    fd_real *ux = fd_raw(&scratch, fd_real, (ptrdiff_t)m * p);
    fd_real *uy = fd_raw(&scratch, fd_real, (ptrdiff_t)n * p);
    double *mx = fd_raw(&scratch, double, p), *my = fd_raw(&scratch, double, p);
    double *Sx = fd_raw(&scratch, double, p2), *Sy = fd_raw(&scratch, double, p2);
    double *V = fd_raw(&scratch, double, p2), *w = fd_raw(&scratch, double, p);
    if (!w) return NAN;
    fd_to_modes(&c->s, m, x, ux, scratch);
    fd_to_modes(&c->s, n, y, uy, scratch);
    if (scratch.st->code) return NAN;
    met_moments(m, p, ux, mx, Sx);
    met_moments(n, p, uy, my, Sy);
    double total = 0;
    for (int i = 0; i < p; i++) {
        total += (mx[i] - my[i]) * (mx[i] - my[i]);
        total += Sx[(ptrdiff_t)i * p + i] + Sy[(ptrdiff_t)i * p + i];
    }

    /* Sx Sy has the eigenvalues of M = D^1/2 V Sx V^T D^1/2, which is symmetric, Sy = V^T D V */
    if (fd_eigen(scratch.st, p, Sy, w, V, scratch)) return NAN;
    double *VS = Sy, *M = Sx;
    MET_EACH(i, p, (double)p2 * p, met_times(p, V + i * p, Sx, 0, VS + i * p));
    MET_EACH(i, p, (double)p2 * p, met_times(p, VS + i * p, V, 1, M + i * p));
    for (int i = 0; i < p; i++)
        for (int j = 0; j <= i; j++) {                       /* symmetric to the bit */
            double d = w[i] > 0 ? sqrt(w[i]) * sqrt(w[j]) : 0;           /* w[j] >= w[i] */
            M[(ptrdiff_t)i * p + j] = M[(ptrdiff_t)j * p + i] = d * M[(ptrdiff_t)j * p + i];
        }
    if (fd_eigen(scratch.st, p, M, w, V, scratch)) return NAN;
    for (int i = 0; i < p; i++) if (w[i] > 0) total -= 2 * sqrt(w[i]);
    return total;
}

/* mean and variance, by 1/(m-1), of each coefficient; sums about the first function, whose
 * coefficients go to shift[size], so that a large mean costs no digits */
static void met_diagonal(const fd_space *s, int m, const fd_real *x, double *mean, double *var,
                         double *shift, fd_real *u, fd_arena scratch)
{
    ptrdiff_t size = s->ch * s->modes;
    for (int from = 0; from < m; from += MET_BATCH) {
        met_modes(s, m, x, from, u, scratch);
        for (int f = from; f < m && f < from + MET_BATCH; f++)
            for (ptrdiff_t k = 0; k < size; k++) {
                double v = (double)u[(f - from) * size + k];
                if (!f) { shift[k] = v; mean[k] = var[k] = 0; }
                mean[k] += v - shift[k];
                var[k] += (v - shift[k]) * (v - shift[k]);
            }
    }
    for (ptrdiff_t k = 0; k < size; k++) {
        double d = mean[k] / m, v = (var[k] - m * d * d) / (m - 1);
        mean[k] = shift[k] + d;
        var[k] = v > 0 ? v : 0;
    }
}

double fd_w2_modes(const fd_space *s, int m, const fd_real *x, int n, const fd_real *y,
                   fd_arena scratch)
{
    if (met_failed(s, scratch.st) || !x || !y) return NAN;
    if (m < 2 || n < 2)
        return FD_FAIL(scratch.st, FD_EARG, "fd_w2_modes",
                       "needs two functions of each kind", m, n), NAN;
    ptrdiff_t size = s->ch * s->modes;
    double *a = fd_raw(&scratch, double, 5 * size), total = 0;
    fd_real *u = fd_raw(&scratch, fd_real, MET_BATCH * size);
    if (!u) return NAN;
    met_diagonal(s, m, x, a, a + size, a + 4 * size, u, scratch);
    met_diagonal(s, n, y, a + 2 * size, a + 3 * size, a + 4 * size, u, scratch);
    if (scratch.st->code) return NAN;
    for (ptrdiff_t k = 0; k < size; k++) {
        double dM = a[k] - a[2 * size + k], dsd = sqrt(a[size + k]) - sqrt(a[3 * size + k]);
        total += dM * dM + dsd * dsd;
    }
    return total;
}

/* With the ensemble sorted, x_1 <= .. <= x_m, at every point
 *
 *     E|X - y| - E|X - X'|/2 = (1/m) sum |x_i - y| - (1/m^2) sum (2i - m - 1) x_i,
 *
 * X, X' drawn from the ensemble with replacement. v [2m]. */
static double met_crps(int m, const fd_real *x, ptrdiff_t stride, double y, double *v)
{
    double near = 0, spread = 0;
    for (int i = 0; i < m; i++) v[i] = (double)x[i * stride];
    met_sort(m, v, v + m);
    for (int i = 0; i < m; i++) {
        near += fabs(v[i] - y);
        spread += (2 * i + 1 - m) * (v[i] - v[0]);           /* weights add up to 0: any shift */
    }
    return near / m - spread / ((double)m * m);
}

double fd_crps(const fd_space *s, int m, const fd_real *x, const fd_real *truth, fd_arena scratch)
{
    if (met_failed(s, scratch.st) || !x || !truth) return NAN;
    if (m < 1)
        return FD_FAIL(scratch.st, FD_EARG, "fd_crps", "an empty ensemble", m), NAN;
    ptrdiff_t size = fd_size(s);
    double *score = fd_raw(&scratch, double, size), total = 0;
    double *buf = fd_raw(&scratch, double, (ptrdiff_t)threads_most() * 2 * m);
    if (!buf) return NAN;
    MET_EACH(p, size, 20.0 * m * (double)size,
             score[p] = met_crps(m, x + p, size, (double)truth[p], buf + threads_this() * 2 * m));
    for (ptrdiff_t p = 0; p < size; p++) total += score[p];
    return total / (double)size;
}
