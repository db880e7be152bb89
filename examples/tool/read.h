/* read.h -- arrays in the files that people have, opened and not loaded where that can be avoided.
 *
 * Sections: interface; runs of bytes; checksums and inflate; numbers; .npy; IDX; zip and .npz;
 * .safetensors; PyTorch; MATLAB; text; pictures; what is not read; opening, reading, closing.
 *
 *     source f = source_open(&a, "flow.npz:vorticity");      the shape is known, nothing is loaded
 *     source_read(&f, 40, 8, x, a);                          functions 40 to 47
 *     source_close(&f);
 *
 * Numbers that are stored plainly are mapped and converted as they are read: what they take of
 * memory does not depend on the size of the file. Compressed ones are unpacked once, into the
 * arena. Every count in a file is held against its length before it is used.
 *
 * Errors go to the status of the arena. They stand in one line that names the file, the member and
 * what to do, and that must be read (fd_explain) before the next file is opened. */
#ifndef READ_H
#define READ_H
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE                    /* madvise */
#endif
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "fd.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#if !defined(READ_NO_MMAP) && (defined(__unix__) || defined(__APPLE__))
#define READ_MMAP
#include <sys/mman.h>
#endif

/* inflate, PNG and JPEG; stb_image's memory comes from an arena, within read_stb_begin and the end
 * of what is done to one picture */
static fd_status read_stb_status;
static fd_arena read_stb;
static inline void read_stb_begin(fd_arena scratch, size_t most)
{
    size_t left = (size_t)(scratch.end - scratch.beg);
    read_stb = fd_arena_over(scratch.beg, left < most ? left : most, &read_stb_status);
}

static inline void *read_stb_more(void *p, size_t old, size_t n)
{
    char *q = p;
    if (q && q + old + FD_REDZONE == read_stb.beg                               /* the last one */
        && n + FD_REDZONE <= (size_t)(read_stb.end - q)) {
        read_stb.beg = q + n + FD_REDZONE;
        if (n > old) fd_show(q + old, n - old);
        return q;
    }
    q = fd_new(&read_stb, char, n);        /* cleared: a JPEG may leave out tables that it uses */
    if (q && p) memcpy(q, p, old < n ? old : n);
    return q;
}
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#define STB_IMAGE_IMPLEMENTATION
#ifdef __GNUC__
#define STBIDEF static __attribute__((unused))
#else
#define STBIDEF static
#endif
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_GIF
#define STBI_NO_THREAD_LOCALS
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 16384
#define STBI_ASSERT(x) ((void)sizeof(x))
#define STBI_MALLOC(n) read_stb_more(NULL, 0, n)
#define STBI_REALLOC_SIZED(p, old, n) read_stb_more(p, old, n)
#define STBI_FREE(p) ((void)(p))
#include <stb/stb_image.h>
/* declared there, and defined with thread locals only */
static inline void stbi_set_unpremultiply_on_load_thread(int on) { (void)on; }
static inline void stbi_convert_iphone_png_to_rgb_thread(int on) { (void)on; }
static inline void stbi_set_flip_vertically_on_load_thread(int on) { (void)on; }
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* ---- Interface ------------------------------------------------------------------------------- */

typedef struct read_type read_type;
typedef struct read_map read_map;

typedef struct {                           /* a run of bytes in memory or in an open file */
    const unsigned char *p;                /* NULL: read from the file */
    read_map *map;                         /* the file, or NULL where the arena has the bytes */
    uint64_t at, size;                     /* place in the file, length */
} read_bytes;

typedef struct source source;
struct source {
    const char *path, *member;             /* member: "" where the file is one array */
    const char *format, *type;             /* "NumPy", ..; the type as numpy names it */
    const char *why;                       /* NULL, or why it cannot be read */
    int bytes;                             /* 1: 8-bit unsigned numbers or picture bytes, 0..255 */
    int complex;                           /* 1: a last axis of 2 is real and imaginary part */
    int nd, n[FD_MAXD];
    int metas;                             /* texts that the file has beside its arrays */
    const fd_meta *meta;
    source *next;                          /* in a list */
    /* private */
    read_bytes data, packed;               /* packed: a member of a zip or of a .mat */
    int method;                            /* of the packed: stored, deflate, with zlib's header */
    uint64_t size;                         /* unpacked */
    uint32_t crc;
    void (*parse)(fd_arena scratch, const read_bytes *b, uint64_t size, source *f);
    int files, alpha;                      /* pictures */
    char **file;
    int parts;                             /* 2: real and imaginary parts lie apart */
    struct { const read_type *type; int big; uint64_t at; ptrdiff_t stride[FD_MAXD]; } part[2];
};

/* source_list -- all arrays of a file, in its order, those too that cannot be read (why). NULL with
 * an error where the file has none or is not one of ours. To be closed with the first of them.
 *
 *   .npy                 with or without .gz, as all files but folders may be
 *   IDX                  MNIST's
 *   .npz                 stored or compressed
 *   .safetensors
 *   .pt, .pth            PyTorch's zip: tensors in dictionaries and lists, a.b.0 for x["a"]["b"][0]
 *   .mat                 MATLAB 5 to 7.2; index order as in scipy.io.loadmat
 *   .csv                 and other text: a line is a function
 *   a folder             of PNG or JPEG, in the order of their names: [n][h][w] or [n][h][w][3] */
static inline source *source_list(fd_arena *a, const char *path);
/* source_open -- the array that a name means: a file or file:member. The name of the member may be
 * left out where only one can be read. */
static inline source source_open(fd_arena *a, const char *name);
/* source_load -- unpack an entry of a list, if it is compressed, so that it can be read. */
static inline void source_load(fd_arena *a, source *f);
/* source_split -- the file and, behind a colon, the member that a name means. source_below -- is an
 * array the member, or below it (a.b of a)? */
static inline const char *source_split(fd_arena *a, const char *name, const char **member);
static inline int source_below(const source *f, const char *member);
/* source_tensors -- all real and complex numbers that are not whole, in memory, as fd_tensors_load
 * has them; of file:key those below the key, as in checkpoint.pt:model, under the rest of their
 * names. The others are listed as `other`. data 0: names and shapes only. */
static inline fd_tensors source_tensors(fd_arena *a, const char *name, int data);
/* source_slab -- numbers of an entry of the first axis. source_count -- of all. */
static inline ptrdiff_t source_slab(const source *f);
static inline ptrdiff_t source_count(const source *f);
/* source_read -- entries first to first + count - 1 of the first axis, in C order. source_doubles
 * -- the same without rounding to fd_real. An error is in the status of the arena, the numbers are
 * then not to be used. */
static inline void source_read(const source *f, ptrdiff_t first, ptrdiff_t count, fd_real *x,
                               fd_arena scratch);
static inline void source_doubles(const source *f, ptrdiff_t first, ptrdiff_t count, double *x,
                                  fd_arena scratch);
/* source_some -- the same for any run of numbers, pairs of complex ones being whole. */
static inline void source_some(const source *f, ptrdiff_t from, ptrdiff_t count, fd_real *x,
                               double *y, fd_arena scratch);
static inline void source_close(source *f);

static inline source *source_new(fd_arena *a, const char *path, const char *member)
{
    source *f = fd_new(a, source, 1);
    if (!f) return NULL;
    f->path = path;
    f->member = member;
    f->format = f->type = "unknown";                   /* until it is known */
    return f;
}

/* ---- Runs of bytes --------------------------------------------------------------------------- */

enum { READ_DROP = 1 << 26 };              /* bytes read before the pages of a map are given back */
struct read_map {
    FILE *f;                               /* open where it could not be mapped */
    void *p;
    size_t size, touched;
    int broken;                            /* why the system did not give bytes that are there */
};

/* read_fail -- one line: the file, its member unless it is NULL or "", and what is wrong. */
static inline int read_fail(fd_status *st, int code, const char *path, const char *member,
                            const char *fmt, ...)
{
    static char where[400], what[640];
    va_list ap;
    if (st->code) return st->code;
    int more = member && *member;
    snprintf(where, sizeof where, "%.250s%s%.120s", path, more ? ": " : "", more ? member : "");
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return FD_FAIL(st, code, where, what);
}

#define read_bad(st, path, ...) read_fail(st, FD_EDATA, path, __VA_ARGS__)

/* read_broken -- where the system did not give bytes that are there, that is what was wrong, and
 * not the file. */
static inline void read_broken(fd_status *st, const char *path, const read_map *m)
{
    if (!m || !m->broken) return;
    st->code = FD_OK;
    read_fail(st, FD_EIO, path, NULL, "cannot read: %s", strerror(m->broken));
}

static inline void read_unmap(read_map *m)
{
    if (!m) return;
#ifdef READ_MMAP
    if (m->p) munmap(m->p, m->size);
#endif
    if (m->f) fclose(m->f);
    m->f = NULL;
    m->p = NULL;
}

/* read_file -- the bytes of a plain file, mapped where the system can. */
static inline read_bytes read_file(fd_arena *a, const char *path)
{
    read_bytes b = { NULL, NULL, 0, 0 };
    struct stat s;
    long n = -1;
    read_map *m = fd_new(a, read_map, 1);
    if (!m) return b;
    /* a pipe would be waited for */
    int known = !stat(path, &s), odd = known && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
    m->f = odd || (known && S_ISDIR(s.st_mode)) ? NULL : fopen(path, "rb");
    if (!m->f && !odd) {
        read_fail(a->st, FD_EIO, path, NULL, "%s", errno ? strerror(errno) : "cannot be opened");
        return b;
    }
    if (m->f && !fstat(fileno(m->f), &s) && S_ISREG(s.st_mode) && !fseek(m->f, 0, SEEK_END))
        n = ftell(m->f);
    if (n < 0 || (uint64_t)n > SIZE_MAX / 2) {
        read_fail(a->st, FD_EIO, path, NULL, "not a plain file");
        read_unmap(m);
        return b;
    }
    m->size = (size_t)n;
#ifdef READ_MMAP
    m->p = m->size ? mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fileno(m->f), 0) : MAP_FAILED;
    if (m->p == MAP_FAILED) m->p = NULL;
    else { fclose(m->f); m->f = NULL; }
#endif
    b.p = m->p;
    b.map = m;
    b.size = m->size;
    return b;
}

/* read_part -- n bytes at `at` of a run; none where they are not in it. */
static inline read_bytes read_part(const read_bytes *b, uint64_t at, uint64_t n)
{
    read_bytes r = { NULL, b->map, b->at + at, n };
    if (at > b->size || n > b->size - at) return (read_bytes){ NULL, NULL, 0, 0 };
    r.p = b->p ? b->p + at : NULL;
    return r;
}

/* read_at -- n bytes at `at`, where they lie or in buf, which has room for them; NULL where they
 * are not there. */
static inline const unsigned char *read_at(const read_bytes *b, uint64_t at, uint64_t n, void *buf)
{
    read_map *m = b->map;
    if (at > b->size || n > b->size - at) return NULL;
    if (b->p) {
#ifdef READ_MMAP
        if (m && (m->touched += (size_t)n) > READ_DROP) {
            madvise(m->p, m->size, MADV_DONTNEED);
            m->touched = 0;
        }
#endif
        return b->p + at;
    }
    if (!m || !m->f) return NULL;
    errno = 0;
    if (!fseek(m->f, (long)(b->at + at), SEEK_SET) && fread(buf, 1, (size_t)n, m->f) == n)
        return buf;
    m->broken = errno ? errno : EIO;
    return NULL;
}

static inline uint64_t read_number(const unsigned char *p, int size, int big)
{
    uint64_t u = 0;
    for (int i = 0; i < size; i++) u = u << 8 | p[big ? i : size - 1 - i];
    return u;
}

/* read_all -- the bytes of a run in memory; where they are in the file only, in the arena. */
static inline const unsigned char *read_all(fd_arena *a, const char *path, const char *member,
                                            const read_bytes *b)
{
    unsigned char *buf = b->p || a->st->code ? NULL : fd_raw(a, unsigned char, b->size);
    const unsigned char *p = a->st->code ? NULL : read_at(b, 0, b->size, buf);
    if (!p) read_fail(a->st, FD_EIO, path, member, "cannot be read");
    return p;
}

/* ---- Checksums and inflate ------------------------------------------------------------------- */

/* read_crc -- CRC-32 of n more bytes, four at a time. */
static inline uint32_t read_crc(uint32_t crc, const unsigned char *p, size_t n)
{
    static uint32_t t[4][256];
    for (uint32_t i = 0; i < 256 && !t[3][255]; i++) {
        uint32_t c = i;
        for (int j = 0; j < 8; j++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        t[0][i] = c;
        if (i == 255)
            for (int k = 0; k < 256; k++)
                for (int j = 1; j < 4; j++) t[j][k] = t[j - 1][k] >> 8 ^ t[0][t[j - 1][k] & 255];
    }
    crc = ~crc;
    for (; n >= 4; n -= 4, p += 4) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = t[3][crc & 255] ^ t[2][crc >> 8 & 255] ^ t[1][crc >> 16 & 255] ^ t[0][crc >> 24];
    }
    for (; n; n--) crc = crc >> 8 ^ t[0][(crc ^ *p++) & 255];
    return ~crc;
}

/* read_adler -- the checksum of zlib. */
static inline uint32_t read_adler(const unsigned char *p, size_t n)
{
    uint32_t a = 1, b = 0;
    while (n) {
        size_t m = n < 5552 ? n : 5552;                /* b stays below 2^32 */
        for (n -= m; m; m--) { a += *p++; b += a; }
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}

enum { READ_STORED = 0, READ_DEFLATE = 8, READ_ZLIB = 9, READ_BEHIND = 8 };

/* read_first -- the first bytes that a deflate stream unpacks to, zeros behind them; out has room
 * for 2^17: stb writes a block without compression (at most 2^16 - 1 bytes) whole or not at all. */
enum { READ_FIRST = 1 << 17 };
static inline void read_first(const unsigned char *p, uint64_t n, int method, unsigned char *out)
{
    int m = n < INT_MAX ? (int)n : INT_MAX;
    memset(out, 0, READ_FIRST);
    if (method == READ_ZLIB) stbi_zlib_decode_buffer((char *)out, READ_FIRST, (const char *)p, m);
    else stbi_zlib_decode_noheader_buffer((char *)out, READ_FIRST, (const char *)p, m);
}

/* read_inflate -- the `size` bytes that a deflate stream unpacks to, in the arena; checks the size.
 * stb looks further than a stream goes: without zlib's checksum behind it b has READ_BEHIND bytes
 * more. */
static inline read_bytes read_inflate(fd_arena *a, const char *path, const char *member,
                                      const read_bytes *b, int method, uint64_t size)
{
    read_bytes r = { NULL, b->map, 0, 0 };
    if (size > INT_MAX || b->size > INT_MAX) {
        read_bad(a->st, path, member, "compressed and larger than 2 GB: uncompress it first");
        return r;
    }
    if (size / 1032 > b->size) {                       /* more than deflate can */
        read_bad(a->st, path, member, "damaged: it cannot be as large as it says");
        return r;
    }
    if (size > (uint64_t)(a->end - a->beg)) {
        read_fail(a->st, FD_ENOMEM, path, member, "it is compressed and needs %.0f MB",
                  (double)size / 1e6);
        return r;
    }
    /* cleared: distances that deflate does not have are 0 to stb, which keeps what is there */
    unsigned char *out = fd_new(a, unsigned char, size + 1);
    fd_arena scratch = *a;
    const unsigned char *in = read_all(&scratch, path, member, b);
    if (!in) return r;
    char *to = (char *)out;
    int n, room = (int)size, len = (int)b->size, wrong = 0;
    if (method == READ_ZLIB) n = stbi_zlib_decode_buffer(to, room, (const char *)in, len);
    else n = stbi_zlib_decode_noheader_buffer(to, room, (const char *)in, len);
    if (method == READ_ZLIB && len > 4)
        wrong = read_adler(out, (size_t)size) != read_number(in + len - 4, 4, 1);
    if (n < 0 || (uint64_t)n != size || wrong) {
        read_bad(a->st, path, member, "damaged: it does not unpack to what it says");
        return r;
    }
    r.p = out;
    r.size = size;
    return r;
}

/* read_gunzip -- what a .gz holds. */
static inline read_bytes read_gunzip(fd_arena *a, const char *path, const read_bytes *b)
{
    static const char bad[] = "damaged, or of several parts: gunzip it first";
    unsigned char buf[8];
    const unsigned char *m = read_at(b, 0, 4, buf);
    uint64_t at = 10, more;
    int flags = m ? m[3] : 0;
    read_bytes r = { NULL, b->map, 0, 0 };
    if (b->size < 18 || !m || m[2] != 8) { read_bad(a->st, path, NULL, bad); return r; }
    if (flags & 4) {                                   /* an extra field */
        m = read_at(b, at, 2, buf);
        at += 2 + (m ? read_number(m, 2, 0) : 0);
    }
    for (int bit = 8; bit <= 16; bit *= 2) if (flags & bit)                /* name, comment */
        do m = read_at(b, at++, 1, buf); while (m && *m);
    at += flags & 2;                                   /* a checksum of this header */
    if (at > b->size - 8) { read_bad(a->st, path, NULL, bad); return r; }
    read_bytes deflate = read_part(b, at, b->size - at);
    m = read_at(b, b->size - 8, 8, buf);
    uint32_t crc = m ? (uint32_t)read_number(m, 4, 0) : 0;
    more = m ? read_number(m + 4, 4, 0) : 0;
    r = read_inflate(a, path, NULL, &deflate, READ_DEFLATE, more);
    if (a->st->code == FD_EDATA || (r.p && read_crc(0, r.p, (size_t)r.size) != crc)) {
        if (more <= INT_MAX) a->st->code = FD_OK;      /* say what may be done */
        read_bad(a->st, path, NULL, bad);
    }
    return r;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* kind: b truth value, u unsigned, i two's complement, f IEEE 754, g its upper half (bfloat16), c
 * two of f, each of the size. Then the names in .npy, .safetensors and PyTorch, the code in IDX,
 * the type and the class in MATLAB. */
struct read_type {
    const char *name;
    char kind;
    int size;
    const char *npy, *safe, *torch;
    int idx, mi, mx;
};
static const read_type read_types[] = {
    { "bool", 'b', 1, " b1 ? bool ", "BOOL", "BoolStorage", 0, 0, 0 },
    { "uint8", 'u', 1, " u1 B uint8 ", "U8", "ByteStorage", 0x08, 2, 9 },
    { "int8", 'i', 1, " i1 b int8 ", "I8", "CharStorage", 0x09, 1, 8 },
    { "uint16", 'u', 2, " u2 H uint16 ", "U16", "UInt16Storage", 0, 4, 11 },
    { "int16", 'i', 2, " i2 h int16 ", "I16", "ShortStorage", 0x0b, 3, 10 },
    { "uint32", 'u', 4, " u4 I uint32 ", "U32", "UInt32Storage", 0, 6, 13 },
    { "int32", 'i', 4, " i4 i int32 ", "I32", "IntStorage", 0x0c, 5, 12 },
    { "uint64", 'u', 8, " u8 Q uint64 ", "U64", "UInt64Storage", 0, 13, 15 },
    { "int64", 'i', 8, " i8 q int64 ", "I64", "LongStorage", 0, 12, 14 },
    { "float16", 'f', 2, " f2 e float16 ", "F16", "HalfStorage", 0, 0, 0 },
    { "bfloat16", 'g', 2, "", "BF16", "BFloat16Storage", 0, 0, 0 },
    { "float32", 'f', 4, " f4 f float32 ", "F32", "FloatStorage", 0x0d, 7, 7 },
    { "float64", 'f', 8, " f8 d float64 ", "F64", "DoubleStorage", 0x0e, 9, 6 },
    { "complex64", 'c', 4, " c8 F complex64 ", "C64", "ComplexFloatStorage", 0, 0, 0 },
    { "complex128", 'c', 8, " c16 D complex128 ", "C128", "ComplexDoubleStorage", 0, 0, 0 } };
enum { READ_TYPES = sizeof read_types / sizeof read_types[0] };

static inline const read_type *read_type_of(const char *name)
{
    for (int i = 0; i < READ_TYPES; i++)
        if (!strcmp(read_types[i].name, name)) return read_types + i;
    return NULL;
}

static inline int read_host_big(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return !first;
}

static inline double read_half(unsigned u)             /* sign, 5 bits of exponent, 10 */
{
    int e = (int)(u >> 10 & 31);
    double f = u & 1023;
    f = e == 31 ? (f > 0 ? NAN : INFINITY) : e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
    return u & 0x8000 ? -f : f;
}

/* read_convert -- n numbers, `step` bytes from one to the next. */
static inline void read_convert(const read_type *t, int big, const unsigned char *p, ptrdiff_t step,
                                ptrdiff_t n, double *x)
{
    float f;
    int swap = big != read_host_big();
#define EACH(value) for (ptrdiff_t i = 0; i < n; i++, p += step) { \
        WORD u; \
        if (swap) u = (WORD)read_number(p, sizeof u, big); \
        else memcpy(&u, p, sizeof u); \
        x[i] = (value); }
#define WORD uint8_t
    if (t->kind == 'b') EACH(u != 0)
    else if (t->size == 1 && t->kind == 'u') EACH((double)u)
    else if (t->size == 1) EACH((double)(int64_t)(u ^ 128) - 128)
#undef WORD
#define WORD uint16_t
    else if (t->kind == 'u' && t->size == 2) EACH((double)u)
    else if (t->kind == 'i' && t->size == 2) EACH((double)(int64_t)(u ^ 0x8000) - 0x8000)
    else if (t->kind == 'f' && t->size == 2) EACH(read_half((unsigned)u))
    else if (t->kind == 'g') EACH((memcpy(&f, &(uint32_t){ (uint32_t)u << 16 }, 4), (double)f))
#undef WORD
#define WORD uint32_t
    else if (t->kind == 'u' && t->size == 4) EACH((double)u)
    else if (t->kind == 'i' && t->size == 4)
        EACH((double)((int64_t)(u ^ 0x80000000) - (int64_t)0x80000000))
    else if (t->size == 4) EACH((memcpy(&f, &(uint32_t){ (uint32_t)u }, 4), (double)f))
#undef WORD
#define WORD uint64_t
    else if (t->kind == 'u') EACH((double)u)
    else if (t->kind == 'i') EACH(u >> 63 ? -(double)(~u + 1) : (double)u)
    else EACH((memcpy(x + i, &u, 8), x[i]))
#undef WORD
#undef EACH
}

/* read_shape -- what is known of an array: its type, the place of its data and its order (Fortran:
 * 1), n[nd] being set. Complex numbers get a last axis of 2. Records why it cannot be read. */
static inline void read_shape(source *f, const read_type *t, int big, int fortran)
{
    int nd = f->nd, size = t->kind == 'c' ? 2 * t->size : t->size;
    uint64_t most = (uint64_t)PTRDIFF_MAX / 16, count = 1;
    ptrdiff_t step = size;
    f->type = t->name;
    f->bytes = t->kind == 'u' && t->size == 1;
    f->parts = 1;
    f->part[0].type = t->kind != 'c' ? t : read_type_of(t->size == 4 ? "float32" : "float64");
    f->part[0].big = big;
    for (int i = 0; i < nd; i++)                       /* no factor 0: what is too long stays so */
        count = f->n[i] && (uint64_t)f->n[i] > most / count ? most + 1
              : f->n[i] && count <= most ? count * (uint64_t)f->n[i] : count;
    for (int k = 0; k < nd; k++) {
        int i = fortran ? k : nd - 1 - k;
        f->part[0].stride[i] = step;
        step = count <= most ? step * (f->n[i] ? f->n[i] : 1) : 0;
    }
    for (int i = 0; i < nd; i++) if (!f->n[i]) count = count <= most ? 0 : count;
    if (count > f->data.size / (uint64_t)size) f->why = "the file is shorter than its header says";
    if (t->kind == 'c' && nd == FD_MAXD) f->why = "more than 5 axes of complex numbers";
    else if (t->kind == 'c') {
        f->complex = 1;
        f->part[0].stride[nd] = t->size;
        f->n[f->nd++] = 2;
    }
}

/* ---- .npy: magic, version, length of the header, a Python dict, data ------------------------- */

static inline int npy_take(const char **p, const char *word)
{
    size_t n = strlen(word);
    while (**p == ' ' || **p == '\t' || **p == '\n' || **p == '\r') ++*p;
    return !strncmp(*p, word, n) ? (*p += n, 1) : 0;
}

/* a quoted word without escapes, shorter than 32 */
static inline int npy_string(const char **p, char out[32])
{
    char q = npy_take(p, "'") ? '\'' : npy_take(p, "\"") ? '"' : 0;
    int n = 0;
    while (q && n < 31 && **p && **p != q) out[n++] = *(*p)++;
    out[n] = 0;
    return q && **p == q ? (++*p, 1) : 0;
}

/* (), (3,), (3, 5), (3L, 5L) */
static inline int npy_shape(const char **p, source *f)
{
    int comma = 1;
    if (!npy_take(p, "(")) return 0;
    for (f->nd = 0; !npy_take(p, ")"); ) {
        int64_t v = 0;
        if (!comma || **p < '0' || **p > '9') return 0;
        for (; **p >= '0' && **p <= '9'; ++*p) if (v <= INT_MAX) v = 10 * v + (**p - '0');
        if (v > INT_MAX) f->why = "an extent is too large";
        if (f->nd == FD_MAXD) f->why = "more than 6 axes";
        else f->n[f->nd++] = v > INT_MAX ? INT_MAX : (int)v;
        if (**p == 'L') ++*p;                          /* written by Python 2 */
        comma = npy_take(p, ",");
    }
    return f->nd != 1 || comma;                        /* (3) is a number */
}

/* npy_type -- '<f4', '>f4', '=f4', '|f4', 'f4', 'float32', and what else numpy takes for it. */
static inline const read_type *npy_type(const char *descr, int *big)
{
    char word[40];
    int order = *descr && strchr("<>=|", *descr) ? *descr++ : '=';
    *big = order == '>';
    snprintf(word, sizeof word, " %s ", descr);
    for (int i = 0; i < READ_TYPES && *descr && !strchr(descr, ' '); i++)
        if (strstr(read_types[i].npy, word)) return read_types + i;
    return NULL;
}

/* npy_header -- the dict, up to a NUL; *t stays as it is where the dtype is not one of numbers. */
static inline int npy_header(const char *p, source *f, const read_type **t, int *big, int *fortran)
{
    char key[32], descr[32];
    int seen = 0, bit, more = 1;
    if (!npy_take(&p, "{")) return 0;
    while (!npy_take(&p, "}")) {
        if (!more || !npy_string(&p, key) || !npy_take(&p, ":")) return 0;
        if (!strcmp(key, "descr")) {
            bit = 1;
            if (npy_take(&p, "[")) {                   /* records: to the end of the list */
                int depth = 1;
                f->type = "records";
                for (; depth && *p; p++) depth += *p == '[' ? 1 : *p == ']' ? -1 : 0;
                if (depth) return 0;
            } else if (npy_string(&p, descr)) {
                const char *d = descr + (*descr && strchr("<>=|", *descr));
                *t = npy_type(descr, big);
                f->type = *d == 'U' || *d == 'S' || *d == 'a' ? "strings" : *d == 'O' ? "objects"
                        : *d == 'M' || *d == 'm' ? "times" : *d == 'V' ? "raw bytes" : "unknown";
            } else return 0;
        } else if (!strcmp(key, "fortran_order")) {
            bit = 2;
            *fortran = npy_take(&p, "True");
            if (!*fortran && !npy_take(&p, "False")) return 0;
        } else if (!strcmp(key, "shape")) {
            bit = 4;
            if (!npy_shape(&p, f)) return 0;
        } else return 0;
        if (seen & bit) return 0;
        seen |= bit;
        more = npy_take(&p, ",");
    }
    npy_take(&p, "");
    return seen == 7 && !*p;
}

/* read_npy -- an array from its `size` bytes, of which b may have the first ones only; sets f->why
 * where it cannot be read. */
static inline void read_npy(fd_arena scratch, const read_bytes *b, uint64_t size, source *f)
{
    unsigned char buf[12];
    const unsigned char *m = read_at(b, 0, 10, buf);
    const read_type *t = NULL;
    int big = 0, fortran = 0;
    uint64_t k, len = 0;
    if (strcmp(f->format, "NumPy zip")) f->format = "NumPy";
    f->type = "unknown";
    f->why = "its .npy header is malformed";
    f->nd = 0;
    if (!m || memcmp(m, "\x93NUMPY", 6)) { f->why = "no .npy file"; return; }
    if (m[6] < 1 || m[6] > 3 || m[7]) { f->why = "not version 1, 2 or 3 of .npy"; return; }
    k = m[6] == 1 ? 10 : 12;
    m = read_at(b, 0, k, buf);
    if (m) len = read_number(m + 8, (int)k - 8, 0);
    if (!m || len > b->size - k) { f->why = "the file is shorter than its header says"; return; }
    char *text = fd_raw(&scratch, char, len + 1);
    const unsigned char *from = text ? read_at(b, k, len, text) : NULL;
    if (!from) return;
    if (from != (unsigned char *)text) memcpy(text, from, (size_t)len);
    text[len] = 0;
    const char *was = f->why;
    f->why = NULL;
    if (strlen(text) != len || !npy_header(text, f, &t, &big, &fortran)) { f->why = was; return; }
    if (!t) f->why = "its type is not one of numbers";
    if (f->why) return;
    f->data = read_part(b, k + len, b->size - k - len);
    f->data.size = size - k - len;
    read_shape(f, t, big, fortran);
}

/* ---- IDX: 0, 0, type, number of axes, the extents, the data, all big-endian ------------------ */

static inline int idx_is(const unsigned char *m, uint64_t n)
{
    if (n < 4 || m[0] || m[1] || !m[2]) return 0;
    for (int i = 0; i < READ_TYPES; i++) if (read_types[i].idx == m[2]) return 1;
    return 0;
}

static inline void read_idx(const read_bytes *b, source *f)
{
    unsigned char buf[4];
    const unsigned char *m = read_at(b, 0, 4, buf);
    const read_type *t = NULL;
    f->format = "IDX";
    for (int i = 0; m && i < READ_TYPES; i++) if (read_types[i].idx == m[2]) t = read_types + i;
    if (!m || !t) { f->why = "no IDX file"; return; }
    int nd = m[3];
    uint64_t count = (uint64_t)t->size;
    if (nd > FD_MAXD) { f->why = "more than 6 axes"; return; }
    for (f->nd = 0; f->nd < nd; f->nd++) {
        m = read_at(b, 4 + 4 * (uint64_t)f->nd, 4, buf);
        uint64_t v = m ? read_number(m, 4, 1) : 0;
        if (!m) { f->why = "the file is shorter than its header says"; return; }
        if (v > INT_MAX) { f->why = "an extent is too large"; return; }
        f->n[f->nd] = (int)v;
    }
    f->data = read_part(b, 4 + 4 * (uint64_t)nd, b->size - 4 - 4 * (uint64_t)nd);
    read_shape(f, t, 1, 0);
    for (int i = 0; i < nd && !f->why; i++) count *= (uint64_t)f->n[i];
    if (!f->why && count != f->data.size) f->why = "the file is longer than its header says";
}

/* ---- Zip and .npz -------------------------------------------------------------------------------
 *
 * Read from the directory at the end, which holds every size and place, whatever the writer put
 * into the headers before the data. */

typedef struct zip_file zip_file;
struct zip_file {
    char *name;
    read_bytes packed;
    uint64_t size;                         /* unpacked */
    uint32_t crc;
    int method;
    const char *why;                       /* NULL, or why it cannot be unpacked */
    zip_file *next;
};

static const char zip_bad[] = "malformed zip: cut short or damaged";

/* The place of the record at the end: 22 bytes and a comment that fills the file; ~0 without one.
 * */
static inline uint64_t zip_end(fd_arena scratch, const read_bytes *b)
{
    uint64_t n = b->size < 22 + 65535 ? b->size : 22 + 65535;
    unsigned char *buf = b->p ? NULL : fd_raw(&scratch, unsigned char, n);
    const unsigned char *p = b->p || buf ? read_at(b, b->size - n, n, buf) : NULL;
    for (uint64_t i = 22; p && i <= n; i++)
        if (!memcmp(p + n - i, "PK\5\6", 4) && read_number(p + n - i + 20, 2, 0) == i - 22)
            return b->size - i;
    return UINT64_MAX;
}

/* Entries of the directory, its place and length. With sizes or counts that do not fit into the
 * record at the end, another one before it has them all [zip64]. */
static inline int zip_directory(fd_arena scratch, const read_bytes *b, uint64_t *count,
                                uint64_t *at, uint64_t *len)
{
    unsigned char buf[56];
    uint64_t end = zip_end(scratch, b);
    const unsigned char *e = read_at(b, end, 22, buf);
    if (!e) return 0;
    *count = read_number(e + 10, 2, 0);
    *len = read_number(e + 12, 4, 0);
    *at = read_number(e + 16, 4, 0);
    if (*count == 0xffff || *len == 0xffffffff || *at == 0xffffffff) {
        e = end < 20 ? NULL : read_at(b, end - 20, 20, buf);
        if (!e || memcmp(e, "PK\6\7", 4)) return 0;
        end = read_number(e + 8, 8, 0);
        e = read_at(b, end, 56, buf);
        if (!e || memcmp(e, "PK\6\6", 4)) return 0;
        *count = read_number(e + 32, 8, 0);
        *len = read_number(e + 40, 8, 0);
        *at = read_number(e + 48, 8, 0);
    }
    return *at <= end && *len <= end - *at && *count <= *len / 46;
}

/* zip_entry -- one entry of the directory, at p of n bytes: its length, or 0 where it is malformed.
 * */
static inline uint64_t zip_entry(fd_arena *a, const read_bytes *b, const unsigned char *p,
                                 uint64_t n, zip_file *z)
{
    unsigned char buf[30];
    if (n < 46 || memcmp(p, "PK\1\2", 4)) return 0;
    uint64_t name = read_number(p + 28, 2, 0), extra = read_number(p + 30, 2, 0);
    uint64_t all = 46 + name + extra + read_number(p + 32, 2, 0);
    uint64_t packed = read_number(p + 20, 4, 0), size = read_number(p + 24, 4, 0);
    uint64_t at = read_number(p + 42, 4, 0);
    if (all > n || memchr(p + 46, 0, (size_t)name)) return 0;
    const unsigned char *end = p + 46 + name, *stop = end + extra;
    for (const unsigned char *x = end; stop - x >= 4; x += 4 + read_number(x + 2, 2, 0)) {
        uint64_t *wide[3] = { &size, &packed, &at }, len = read_number(x + 2, 2, 0), k = 0;
        if (len > (uint64_t)(stop - x - 4)) break;
        for (int i = 0; i < 3 && read_number(x, 2, 0) == 1; i++)   /* zip64: what is all ones */
            if (*wide[i] == 0xffffffff && k + 8 <= len) {
                *wide[i] = read_number(x + 4 + k, 8, 0);
                k += 8;
            }
    }
    z->name = fd_raw(a, char, name + 1);
    if (!z->name) return 0;
    memcpy(z->name, p + 46, (size_t)name);
    z->name[name] = 0;
    z->size = size;
    z->crc = (uint32_t)read_number(p + 16, 4, 0);
    z->method = (int)read_number(p + 10, 2, 0);
    const unsigned char *h = read_at(b, at, 30, buf);  /* its name and extra field may differ */
    if (!h || memcmp(h, "PK\3\4", 4)) return 0;
    at += 30 + read_number(h + 26, 2, 0) + read_number(h + 28, 2, 0);
    if (at > b->size || packed > b->size - at) return 0;
    uint64_t behind = z->method == READ_DEFLATE ? READ_BEHIND : 0;
    if (packed + behind > b->size - at) return 0;
    z->packed = read_part(b, at, packed + behind);
    if (p[8] & 1) z->why = "it is encrypted";
    else if (z->method != READ_STORED && z->method != READ_DEFLATE)
        z->why = "it is compressed otherwise than by deflate";
    else if (z->method == READ_STORED && packed != size) return 0;
    return all;
}

/* zip_list -- the files in a zip. */
static inline zip_file *zip_list(fd_arena *a, const char *path, const read_bytes *b)
{
    uint64_t count, at, len, used = 0, k;
    zip_file *first = NULL, **link = &first;
    unsigned char *buf = NULL;
    int ok = zip_directory(*a, b, &count, &at, &len);
    if (ok && !b->p) buf = fd_raw(a, unsigned char, len);
    const unsigned char *p = ok && (b->p || buf) ? read_at(b, at, len, buf) : NULL;
    for (ok = p != NULL; ok && count; count--, p += k, len -= k) {
        zip_file *z = fd_new(a, zip_file, 1);
        k = z ? zip_entry(a, b, p, len, z) : 0;
        ok = k && (used += z->packed.size) <= b->size;
        *link = z;
        if (ok) link = &z->next;
    }
    if (!ok || len) read_bad(a->st, path, NULL, zip_bad);
    else if (!first) read_bad(a->st, path, NULL, "an empty zip: it holds nothing");
    return a->st->code ? NULL : first;
}

/* zip_unpack -- the bytes of a file in a zip; the checksum of a stored one is looked at up to 256
 * MB. */
static inline read_bytes zip_unpack(fd_arena *a, const char *path, const char *member,
                                    const read_bytes *packed, int method, uint64_t size,
                                    uint32_t crc)
{
    unsigned char buf[4096];
    read_bytes r = *packed;
    uint32_t sum = 0;
    if (method != READ_STORED) r = read_inflate(a, path, member, packed, method, size);
    if (a->st->code || r.size > (uint64_t)1 << 28) return r;
    for (uint64_t i = 0; i < r.size; i += sizeof buf) {
        uint64_t n = r.size - i < sizeof buf ? r.size - i : sizeof buf;
        const unsigned char *p = read_at(&r, i, n, buf);
        if (!p) { read_fail(a->st, FD_EIO, path, member, "cannot be read"); return r; }
        sum = read_crc(sum, p, (size_t)n);
    }
    if (sum != crc) read_bad(a->st, path, member, "damaged: its checksum is wrong");
    return r;
}

/* read_npz -- an array for each file in the zip. */
static inline source *read_npz(fd_arena *a, const char *path, const zip_file *z)
{
    source *first = NULL, **link = &first;
    unsigned char *head = NULL;
    int arrays = 0;
    for (const zip_file *e = z; e; e = e->next) {
        size_t n = strlen(e->name);
        arrays += n > 4 && !strcmp(e->name + n - 4, ".npy");
    }
    if (!arrays) {
        read_bad(a->st, path, z->name, "a zip without .npy files: unzip it and name what is in it");
        return NULL;
    }
    for (; z; z = z->next) {
        size_t n = strlen(z->name);
        source *f = source_new(a, path, z->name);
        if (!f) return NULL;
        *link = f;
        link = &f->next;
        f->format = "NumPy zip";
        f->type = "file";
        f->packed = z->packed;
        f->method = z->method;
        f->size = z->size;
        f->crc = z->crc;
        f->why = z->why;
        f->parse = read_npy;
        if (n <= 4 || strcmp(z->name + n - 4, ".npy")) { f->why = "it is no .npy file"; continue; }
        z->name[n - 4] = 0;
        if (f->why) continue;
        fd_arena scratch = *a;
        if (z->method == READ_STORED) read_npy(scratch, &z->packed, z->size, f);
        else {
            head = fd_raw(&scratch, unsigned char, READ_FIRST);
            const unsigned char *p = read_all(&scratch, path, f->member, &z->packed);
            if (!p) return NULL;
            read_first(p, z->packed.size, z->method, head);
            read_bytes b = { head, NULL, 0, z->size < READ_FIRST ? z->size : READ_FIRST };
            read_npy(scratch, &b, z->size, f);
        }
    }
    return first;
}

/* ---- .safetensors: length of the header, JSON {name: {dtype, shape, data_offsets}}, data ----- */

/* A cursor over a text that ends with NUL, which no rule accepts. Strings are decoded where they
 * stand, as decoding never makes them longer; no rule calls itself, so nesting costs nothing. fd
 * conform reads its files by it as well. */
typedef struct { char *p; int bad; } json;

static inline void json_space(json *j)
{
    while (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r') j->p++;
}

static inline int json_take(json *j, char c)
{
    json_space(j);
    return !j->bad && *j->p == c ? (j->p++, 1) : 0;
}

static inline int json_need(json *j, char c) { return json_take(j, c) ? 1 : (j->bad = 1, 0); }

static inline unsigned json_hex(json *j)               /* four digits */
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++, j->p++) {
        int c = tolower((unsigned char)*j->p);
        if (!isxdigit(c)) { j->bad = 1; return 0; }
        v = 16 * v + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v;
}

static inline char *json_string(json *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (!json_need(j, '"')) return NULL;
    char *start = j->p, *out = start;
    while (*j->p != '"' && !j->bad) {
        unsigned char c = (unsigned char)*j->p;
        if (c < 0x20) { j->bad = 1; break; }           /* NUL: the end is not passed */
        j->p++;
        if (c != '\\') *out++ = (char)c;
        else if (*j->p && strchr(from, *j->p)) *out++ = to[strchr(from, *j->p++) - from];
        else if (*j->p == 'u') {
            j->p++;
            unsigned u = json_hex(j);
            if (u >= 0xd800 && u < 0xdc00) {           /* the first half of a pair */
                if (j->p[0] != '\\' || j->p[1] != 'u') { j->bad = 1; return NULL; }
                j->p += 2;
                unsigned v = json_hex(j);
                j->bad |= v < 0xdc00 || v > 0xdfff;
                u = 0x10000 + ((u - 0xd800) << 10) + (v & 0x3ff);
            } else j->bad |= !u || (u >= 0xdc00 && u < 0xe000);
            int more = u < 0x80 ? 0 : u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
            *out++ = (char)(more ? (0xf00 >> (more + 1) & 0xff) | u >> 6 * more : u);
            while (more--) *out++ = (char)(0x80 | (u >> 6 * more & 0x3f));
        } else j->bad = 1;
    }
    if (j->bad) return NULL;
    j->p++;
    *out = 0;
    return start;
}

static inline uint64_t json_number(json *j)            /* whole, below 2^63 */
{
    uint64_t v = 0;
    json_space(j);
    char *start = j->p;
    for (; *j->p >= '0' && *j->p <= '9'; j->p++)
        v = v > (INT64_MAX - 9) / 10 ? UINT64_MAX / 20 : 10 * v + (uint64_t)(*j->p - '0');
    j->bad |= j->p == start || (*start == '0' && j->p > start + 1);
    return v;
}

/* safe_entry -- {"dtype":"F32","shape":[3,5],"data_offsets":[0,60]} in any order. data.at and
 * data.size become the offsets. */
static inline void safe_entry(json *j, source *f)
{
    int seen = 0, bit;
    const read_type *t = NULL;
    uint64_t from = 0, to = 0;
    json_need(j, '{');
    do {
        const char *key = json_string(j);
        json_need(j, ':');
        if (j->bad) return;
        if (!strcmp(key, "dtype")) {
            bit = 1;
            f->type = json_string(j);
            for (int i = 0; f->type && i < READ_TYPES; i++)
                if (!strcmp(read_types[i].safe, f->type)) t = read_types + i;
        } else if (!strcmp(key, "shape")) {
            bit = 2;
            json_need(j, '[');
            if (!json_take(j, ']')) {
                do {
                    uint64_t v = json_number(j);
                    if (v > INT_MAX) f->why = "an extent is too large";
                    if (f->nd == FD_MAXD) f->why = "more than 6 axes";
                    else f->n[f->nd++] = v > INT_MAX ? INT_MAX : (int)v;
                } while (json_take(j, ','));
                json_need(j, ']');
            }
        } else if (!strcmp(key, "data_offsets")) {
            bit = 4;
            json_need(j, '[');
            from = json_number(j);
            json_need(j, ',');
            to = json_number(j);
            json_need(j, ']');
        } else bit = 7;
        if (seen & bit) j->bad = 1;
        seen |= bit;
    } while (json_take(j, ','));
    json_need(j, '}');
    j->bad |= seen != 7 || to < from;
    f->data = (read_bytes){ NULL, NULL, from, to - from };
    if (!j->bad && !t && !f->why) f->why = "its type is not one that is read";
    if (!j->bad && !f->why) {
        uint64_t count = (uint64_t)t->size * (t->kind == 'c' ? 2 : 1);
        for (int i = 0; i < f->nd; i++)
            count = f->n[i] && count > (uint64_t)INT64_MAX / (uint64_t)f->n[i] ? UINT64_MAX / 2
                  : count * (uint64_t)f->n[i];
        j->bad |= count != f->data.size;
        read_shape(f, t, 0, 0);
    }
}

static inline int safe_by_name(const void *x, const void *y)
{
    return strcmp((*(source *const *)x)->member, (*(source *const *)y)->member);
}

static inline int safe_by_place(const void *x, const void *y)
{
    const read_bytes *p = &(*(source *const *)x)->data, *q = &(*(source *const *)y)->data;
    return p->at != q->at ? p->at < q->at ? -1 : 1 : p->size < q->size ? -1 : p->size > q->size;
}

/* safe_sane -- no two tensors have one name, and their data fill `size` bytes without hole or
 * overlap; their runs become those of the file. */
static inline const char *safe_sane(fd_arena scratch, source *all, const read_bytes *data)
{
    size_t n = 0;
    uint64_t at = 0;
    for (source *f = all; f; f = f->next) n++;
    source **order = fd_raw(&scratch, source *, n);
    if (!order) return NULL;
    n = 0;
    for (source *f = all; f; f = f->next) order[n++] = f;
    qsort(order, n, sizeof *order, safe_by_name);
    for (size_t i = 1; i < n; i++)
        if (!safe_by_name(order + i - 1, order + i)) return "a name is there twice";
    qsort(order, n, sizeof *order, safe_by_place);
    for (size_t i = 0; i < n; i++) {
        read_bytes *d = &order[i]->data;
        if (d->at != at) return "its tensors leave a hole or overlap";
        at += d->size;
        if (d->size > data->size || at > data->size)
            return "the file is shorter than its header says";
        *d = read_part(data, d->at, d->size);
    }
    return at != data->size ? "the file goes on after its last tensor" : NULL;
}

enum { SAFE_HEADER = 100000000 };          /* the largest that the format's own readers accept */

static inline int safe_is(const unsigned char *m, uint64_t n)
{
    return n > 8 && m[8] == '{' && read_number(m, 8, 0) <= SAFE_HEADER;
}

static inline source *read_safe(fd_arena *a, const char *path, const read_bytes *b)
{
    unsigned char buf[8];
    const unsigned char *m = read_at(b, 0, 8, buf);
    uint64_t len = m ? read_number(m, 8, 0) : 0;
    source *first = NULL, **link = &first;
    fd_meta *meta = NULL;
    int metas = 0, room = 0, had = 0;
    const char *why = NULL;
    if (len > b->size - 8) {
        read_bad(a->st, path, NULL, "cut short: the file is shorter than its header says");
        return NULL;
    }
    char *text = fd_raw(a, char, len + 1);
    m = text ? read_at(b, 8, len, text) : NULL;
    if (!m) { read_fail(a->st, FD_EIO, path, NULL, "cannot be read"); return NULL; }
    if (m != (unsigned char *)text) memcpy(text, m, (size_t)len);
    text[len] = 0;
    json j = { text, 0 };
    json_need(&j, '{');
    if (!json_take(&j, '}')) {
        do {
            char *key = json_string(&j);
            json_need(&j, ':');
            if (j.bad) break;
            if (strcmp(key, "__metadata__")) {
                source *f = source_new(a, path, key);
                if (!f) return NULL;
                f->format = "safetensors";
                *link = f;
                link = &f->next;
                safe_entry(&j, f);
                continue;
            }
            j.bad |= had++;
            json_need(&j, '{');
            if (json_take(&j, '}')) continue;
            do {
                if (metas == room) {
                    fd_meta *more = fd_raw(a, fd_meta, room = 2 * room + 4);
                    if (!more) return NULL;
                    if (metas) memcpy(more, meta, (size_t)metas * sizeof *meta);
                    meta = more;
                }
                meta[metas].key = json_string(&j);
                json_need(&j, ':');
                meta[metas++].value = json_string(&j);
            } while (json_take(&j, ','));
            json_need(&j, '}');
        } while (json_take(&j, ','));
        json_need(&j, '}');
    }
    json_space(&j);
    read_bytes data = read_part(b, 8 + len, b->size - 8 - len);
    if (j.bad || j.p != text + len) why = "its header is not the JSON that the format allows";
    else why = safe_sane(*a, first, &data);
    if (why) read_bad(a->st, path, NULL, "damaged: %s", why);
    else if (!first) read_bad(a->st, path, NULL, "it holds no tensor");
    for (source *f = first; f; f = f->next) { f->metas = metas; f->meta = meta; }
    return first;
}

/* ---- PyTorch: a zip of data.pkl and of storages data/0, data/1, .. ------------------------------
 *
 * A pickle is a program for a stack machine. This one builds dictionaries, lists, tuples and
 * tensors, and knows the few functions that torch.save calls. A name that is called and is not
 * among them is refused; one that is only mentioned is passed over. Nothing is imported or run. */

enum { PK_OTHER, PK_INT, PK_TEXT, PK_NAME, PK_TUPLE, PK_LIST, PK_DICT, PK_STORAGE, PK_TENSOR };
typedef struct pk_node pk_node;
typedef struct {
    unsigned char kind;
    uint32_t n;                            /* bytes of a text or a name, values of a tuple */
    union { int64_t i; const char *s; pk_node *node; } u;
} pk_value;
typedef struct pk_item { pk_value key, value; struct pk_item *next; } pk_item;
struct pk_node {
    int open;                              /* its names are being made; a tensor has its name */
    union {
        struct { pk_item *first, *last; int64_t count; } c;    /* of containers; without scalars */
        struct { const read_type *type; pk_value key; } s;     /* of storages */
        pk_value *tuple;
        source *tensor;
    } u;
};
enum { PK_STACK = 1 << 16, PK_MARKS = 1024, PK_DEEP = 64, PK_NAMES = 480, PK_BLOCK = 1 << 16 };
typedef struct {
    fd_arena *a;
    const char *path;
    const unsigned char *start, *p, *end;
    char *block, *block_end;               /* nodes are cut from blocks */
    pk_value *stack, *memo;
    int top, marks, mark[PK_MARKS];
    size_t memos, puts;
    int big;                               /* byte order of the storages */
    const zip_file **zip;                  /* by name */
    size_t files;
    const char *folder;                    /* of data.pkl, with its / */
    source *first, **link;
    size_t room;                           /* for what the walk over the tensors makes */
    char name[PK_NAMES];
} pickle;

/* module.name, as pickled: the two are parted by a newline, or stand behind each other */
static const char *const pk_dicts[] = { "collections\nOrderedDict", "collections\ndefaultdict",
    "collections\nCounter", NULL };
static const char *const pk_tensors[] = { "torch._utils\n_rebuild_tensor",
    "torch._utils\n_rebuild_tensor_v2", NULL };
static const char *const pk_parameters[] = { "torch._utils\n_rebuild_parameter",
    "torch._utils\n_rebuild_parameter_with_state", NULL };
static const char *const pk_objects[] = { "copy_reg\n_reconstructor", "copyreg\n_reconstructor",
    NULL };
static const char *const pk_plain[] = {    /* what becomes of them is not looked at */
    "torch\nSize", "torch\ndevice", "__builtin__\nset", "builtins\nset", "builtins\nfrozenset",
    "__builtin__\nfrozenset", "builtins\nslice", "builtins\nrange", "builtins\ncomplex",
    "__builtin__\ncomplex", "__builtin__\nbytearray", "builtins\nbytearray", "_codecs\nencode",
    "numpy.core.multiarray\nscalar", "numpy._core.multiarray\nscalar", "numpy\ndtype",
    "numpy.core.multiarray\n_reconstruct", "numpy._core.multiarray\n_reconstruct", "numpy\nndarray",
    "argparse\nNamespace", "types\nSimpleNamespace", "pathlib\nPosixPath", "pathlib\nPurePosixPath",
    "datetime\ndatetime", "datetime\ntimedelta", NULL };

static inline int pk_is(const pk_value *v, const char *const *names)
{
    for (; v->kind == PK_NAME && *names; names++)
        if (v->n == strlen(*names) && !memcmp(v->u.s, *names, v->n)) return 1;
    return 0;
}

static inline int pk_named(const pk_value *v, const char *name)
{
    const char *const names[2] = { name, NULL };
    return pk_is(v, names);
}

static inline int pk_bad(pickle *k, const char *what)
{
    read_bad(k->a->st, k->path, NULL, "its pickle %s", what);
    return 0;
}

/* pk_refuse -- the name that is called. */
static inline int pk_refuse(pickle *k, const pk_value *f)
{
    char name[100];
    int n = f->n < sizeof name - 1 ? (int)f->n : (int)sizeof name - 1;
    if (f->kind != PK_NAME) return pk_bad(k, "calls what is not a function");
    memcpy(name, f->u.s, (size_t)n);
    name[n] = 0;
    for (int i = 0; i < n; i++) {
        if (name[i] == '\n') name[i] = '.';
        else if (!isprint((unsigned char)name[i])) name[i] = '?';
    }
    read_bad(k->a->st, k->path, NULL, "refused: its pickle calls %s, and only tensors, "
             "dictionaries and lists are read: torch.save(model.state_dict(), \"w.pt\")", name);
    return 0;
}

static inline void *pk_take(pickle *k, size_t n)
{
    n = (n + 7) & ~(size_t)7;
    if (n > PK_BLOCK / 8) return fd_alloc(k->a, n, 1);
    if (n > (size_t)(k->block_end - k->block)) {
        k->block = fd_new(k->a, char, PK_BLOCK);
        k->block_end = k->block ? k->block + PK_BLOCK : NULL;
        if (!k->block) return NULL;
    }
    k->block += n;
    return k->block - n;
}

static inline pk_node *pk_make(pickle *k, int kind, pk_value *v)
{
    pk_node *n = pk_take(k, sizeof *n);
    *v = (pk_value){ (unsigned char)kind, 0, { 0 } };
    v->u.node = n;
    return n;
}

static inline int pk_push(pickle *k, pk_value v)
{
    if (k->a->st->code) return 0;
    if (k->top == PK_STACK) return pk_bad(k, "is nested too deeply");
    k->stack[k->top++] = v;
    return 1;
}

/* pk_base -- the lowest entry of the stack that may be taken. */
static inline int pk_base(const pickle *k) { return k->marks ? k->mark[k->marks - 1] : 0; }

static inline pk_value pk_pop(pickle *k)
{
    if (k->top > pk_base(k)) return k->stack[--k->top];
    pk_bad(k, "is damaged: the stack is empty");
    return (pk_value){ PK_OTHER, 0, { 0 } };
}

/* pk_unmark -- where the entries since the last mark begin; the mark is taken. */
static inline int pk_unmark(pickle *k)
{
    if (k->marks) return k->mark[--k->marks];
    pk_bad(k, "is damaged: a mark is missing");
    return k->top;
}

/* pk_keep -- one more value in a list or a dictionary, if there can be tensors in it. */
static inline void pk_keep(pickle *k, pk_node *to, const pk_value *key, const pk_value *value)
{
    pk_value at = { PK_INT, 0, { 0 } };
    at.u.i = to->u.c.count++;
    if (value->kind < PK_TUPLE || value->kind == PK_STORAGE) return;
    pk_item *i = pk_take(k, sizeof *i);
    if (!i) return;
    i->key = key ? *key : at;
    i->value = *value;
    *(to->u.c.last ? &to->u.c.last->next : &to->u.c.first) = i;
    to->u.c.last = i;
}

static inline int pk_tuple(pickle *k, int n)
{
    pk_value v = { PK_TUPLE, (uint32_t)n, { 0 } };
    if (k->top - pk_base(k) < n) return pk_bad(k, "is damaged: the stack is empty");
    pk_node *node = pk_make(k, PK_TUPLE, &v);
    pk_value *t = pk_take(k, (size_t)n * sizeof *t);
    if (!node || !t) return 0;
    v.n = (uint32_t)n;
    k->top -= n;
    if (n) memcpy(t, k->stack + k->top, (size_t)n * sizeof *t);
    node->u.tuple = t;
    return pk_push(k, v);
}

/* pk_whole -- a tuple of whole numbers as extents. */
static inline int pk_whole(const pk_value *v, int most, int64_t n[])
{
    if (v->kind != PK_TUPLE) return -1;
    for (uint32_t i = 0; i < v->n; i++) {
        const pk_value *e = v->u.node->u.tuple + i;
        if (e->kind != PK_INT || e->u.i < 0) return -1;
        if ((int)i < most) n[i] = e->u.i;
    }
    return (int)v->n;
}

/* pk_storage_type -- torch\nFloatStorage, or torch\nfloat32. */
static inline const read_type *pk_storage_type(const pk_value *v)
{
    if (v->kind != PK_NAME || v->n < 7 || memcmp(v->u.s, "torch\n", 6)) return NULL;
    for (int i = 0; i < READ_TYPES; i++)
        for (int j = 0; j < 2; j++) {
            const char *name = j ? read_types[i].name : read_types[i].torch;
            if (strlen(name) == v->n - 6 && !memcmp(name, v->u.s + 6, v->n - 6))
                return read_types + i;
        }
    return NULL;
}

static inline int pk_by_name(const void *x, const void *y)
{
    return strcmp((*(const zip_file *const *)x)->name, (*(const zip_file *const *)y)->name);
}

/* pk_place -- the file of a storage in the zip; NULL where there is none. */
static inline const zip_file *pk_place(const pickle *k, const pk_node *storage)
{
    char name[400];
    const pk_value *key = &storage->u.s.key;
    zip_file want;
    const zip_file *w = &want;
    if (strlen(k->folder) > 300 || key->n > 80) return NULL;
    snprintf(name, sizeof name, "%sdata/%.*s", k->folder, (int)key->n, key->u.s);
    want.name = name;
    const zip_file **z = bsearch(&w, k->zip, k->files, sizeof w, pk_by_name);
    return z ? *z : NULL;
}

/* pk_tensor -- (storage, offset, extents, strides, ..): a view of a storage, in elements. t NULL:
 * of the storage's type. */
static inline int pk_tensor(pickle *k, const pk_value *args, const read_type *t)
{
    int64_t n[FD_MAXD] = { 0 }, step[FD_MAXD] = { 0 };
    pk_value v;
    const pk_value *arg = args->kind == PK_TUPLE && args->n >= 4 ? args->u.node->u.tuple : NULL;
    int nd = arg ? pk_whole(arg + 2, FD_MAXD, n) : -1, none = 0, size;
    if (nd < 0 || arg[0].kind != PK_STORAGE || arg[1].kind != PK_INT || arg[1].u.i < 0
        || pk_whole(arg + 3, FD_MAXD, step) != nd) return pk_bad(k, "is damaged: no tensor");
    const pk_node *storage = arg[0].u.node;
    source *f = source_new(k->a, k->path, "");
    pk_node *node = pk_make(k, PK_TENSOR, &v);
    if (!f || !node) return 0;
    node->u.tensor = f;
    f->format = "PyTorch";
    if (!t) t = storage->u.s.type;
    f->type = t ? t->name : "unknown";
    const zip_file *z = pk_place(k, storage);
    for (f->nd = 0; f->nd < nd && f->nd < FD_MAXD; f->nd++) {
        int64_t e = n[f->nd];
        if (e > INT_MAX) f->why = "an extent is too large";
        f->n[f->nd] = e > INT_MAX ? INT_MAX : (int)e;
        none |= !e;
    }
    if (nd > FD_MAXD) f->why = "more than 6 axes";
    else if (!t || !t->kind) f->why = "its type is not one that is read";
    else if (!z) f->why = "its storage is not in the file";
    else if (z->why) f->why = z->why;
    if (f->why) return pk_push(k, v);
    f->packed = z->packed;
    f->method = z->method;
    f->size = z->size;
    f->crc = z->crc;
    f->data = z->packed;
    f->data.size = UINT64_MAX;                         /* a view may be larger than its storage */
    read_shape(f, t, k->big, 0);
    f->data.size = z->size;
    size = t->kind == 'c' ? 2 * t->size : t->size;
    uint64_t most = z->size / (uint64_t)size, last = (uint64_t)arg[1].u.i;
    int outside = !none && last >= most;
    for (int i = 0; i < nd && !none && !outside; i++) {
        uint64_t more = n[i] > 1 ? (uint64_t)n[i] - 1 : 0;
        if (more && (uint64_t)step[i] > (most - 1 - last) / more) outside = 1;
        else last += more * (uint64_t)step[i];
        f->part[0].stride[i] = more && !outside ? (ptrdiff_t)step[i] * size : 0;
    }
    if (outside) f->why = "it reaches out of its storage";
    else if (!none) f->part[0].at = (uint64_t)arg[1].u.i * (uint64_t)size;
    return pk_push(k, v);
}

/* pk_call -- what the functions that torch.save calls make of their arguments. */
static inline int pk_call(pickle *k, pk_value f, pk_value args)
{
    static const char typed[] = "torch._tensor\n_rebuild_from_type_v2";
    pk_value v = { PK_OTHER, 0, { 0 } }, *arg;
    if (k->a->st->code) return 0;
    if (args.kind != PK_TUPLE) return pk_bad(k, "is damaged: a call without arguments");
    arg = args.u.node->u.tuple;
    if (pk_is(&f, pk_dicts)) return pk_make(k, PK_DICT, &v) ? pk_push(k, v) : 0;
    if (pk_is(&f, pk_plain)) return pk_push(k, v);
    if (pk_is(&f, pk_tensors)) return pk_tensor(k, &args, NULL);
    if (pk_named(&f, "torch._utils\n_rebuild_tensor_v3") && args.n > 6) {
        static const read_type other = { "unknown", 0, 1, "", "", "", 0, 0, 0 };
        const read_type *t = pk_storage_type(arg + 6);
        return pk_tensor(k, &args, t ? t : &other);
    }
    if (pk_is(&f, pk_parameters) && args.n > 0) return pk_push(k, arg[0]);
    if (pk_named(&f, typed) && args.n > 2 && !pk_named(arg, typed))
        return pk_call(k, arg[0], arg[2]);
    if (pk_is(&f, pk_objects) && args.n > 0) {
        if (pk_is(arg, pk_dicts)) return pk_make(k, PK_DICT, &v) ? pk_push(k, v) : 0;
        return pk_is(arg, pk_plain) ? pk_push(k, v) : pk_refuse(k, arg);
    }
    return pk_refuse(k, &f);
}

/* pk_persistent -- ('storage', type, key, device, elements). */
static inline int pk_persistent(pickle *k, pk_value id)
{
    pk_value v;
    const pk_value *t = id.kind == PK_TUPLE ? id.u.node->u.tuple : NULL;
    if (!t || id.n < 5 || t[0].kind != PK_TEXT || t[0].n != 7 || memcmp(t[0].u.s, "storage", 7)
        || t[2].kind != PK_TEXT || t[4].kind != PK_INT) return pk_bad(k, "is damaged: no storage");
    pk_node *n = pk_make(k, PK_STORAGE, &v);
    if (!n) return 0;
    n->u.s.type = pk_storage_type(t + 1);
    n->u.s.key = t[2];
    return pk_push(k, v);
}

/* pk_bytes -- n bytes of the program; NULL where it ends before. */
static inline const unsigned char *pk_bytes(pickle *k, uint64_t n)
{
    const unsigned char *p = k->p;
    if (n > (uint64_t)(k->end - k->p)) { pk_bad(k, "is cut short"); return NULL; }
    k->p += n;
    return p;
}

static inline uint64_t pk_number(pickle *k, int size)
{
    const unsigned char *p = pk_bytes(k, (uint64_t)size);
    return p ? read_number(p, size, 0) : 0;
}

static inline const unsigned char *pk_line(pickle *k)
{
    const unsigned char *p = k->p, *q = memchr(p, '\n', (size_t)(k->end - p));
    if (!q) { pk_bad(k, "is cut short"); return NULL; }
    k->p = q + 1;
    return p;
}

static inline int pk_text(pickle *k, int kind, uint64_t n)
{
    pk_value v = { (unsigned char)kind, (uint32_t)n, { 0 } };
    if (n > UINT32_MAX) return pk_bad(k, "is cut short");
    v.u.s = (const char *)pk_bytes(k, n);
    return v.u.s ? pk_push(k, v) : 0;
}

static inline int pk_int(pickle *k, uint64_t u, int size)
{
    pk_value v = { PK_INT, 0, { 0 } };
    uint64_t top = size ? (uint64_t)1 << (8 * size - 1) : 0;
    v.u.i = size == 8 ? (int64_t)u : (int64_t)((u ^ top) - top);
    return pk_push(k, v);
}

static inline int pk_put(pickle *k, uint64_t i)
{
    if (k->a->st->code) return 0;
    if (k->top <= pk_base(k) || i >= k->memos) return pk_bad(k, "is damaged: no such place");
    k->memo[i] = k->stack[k->top - 1];
    return 1;
}

static inline int pk_get(pickle *k, uint64_t i)
{
    if (i >= k->memos) return pk_bad(k, "is damaged: no such place");
    return pk_push(k, k->memo[i]);
}

/* pk_append -- the entries from `at` on to the list or, in pairs, to the dictionary below them. */
static inline int pk_append(pickle *k, int at, int pairs)
{
    if (k->a->st->code) return 0;
    int least = pk_base(k);
    if (at <= least || (pairs && (k->top - at) % 2))
        return pk_bad(k, "is damaged: the stack is empty");
    const pk_value *to = k->stack + at - 1;
    for (int i = at; i < k->top; i += 1 + pairs) {
        if (to->kind == PK_OTHER) break;               /* an object that is not looked at */
        if (to->kind != (pairs ? PK_DICT : PK_LIST))
            return pk_bad(k, "is damaged: no list or dictionary");
        pk_keep(k, to->u.node, pairs ? k->stack + i : NULL, k->stack + i + pairs);
    }
    k->top = at;
    return 1;
}

/* pk_global -- module and name; joined where they are two strings. */
static inline int pk_global(pickle *k, const pk_value *module, const pk_value *name)
{
    pk_value v = { PK_NAME, 0, { 0 } };
    if (module->kind != PK_TEXT || name->kind != PK_TEXT || (module->n | name->n) > 4095)
        return pk_bad(k, "is damaged: no name");
    char *s = fd_raw(k->a, char, module->n + name->n + 1);
    if (!s) return 0;
    memcpy(s, module->u.s, module->n);
    s[module->n] = '\n';
    memcpy(s + module->n + 1, name->u.s, name->n);
    v.n = module->n + name->n + 1;
    v.u.s = s;
    return pk_push(k, v);
}

static inline int pk_new(pickle *k, int kind)
{
    pk_value v;
    return pk_make(k, kind, &v) ? pk_push(k, v) : 0;
}

static inline int pk_mark(pickle *k)
{
    if (k->marks == PK_MARKS) return pk_bad(k, "is nested too deeply");
    k->mark[k->marks++] = k->top;
    return 1;
}

/* pk_long -- a whole number of n bytes; what is longer than 8 of them is not looked at. */
static inline int pk_long(pickle *k, uint64_t n)
{
    const pk_value other = { PK_OTHER, 0, { 0 } };
    if (n <= 8) return pk_int(k, pk_number(k, (int)n), (int)n);
    return pk_bytes(k, n) && pk_push(k, other);
}

/* pk_gather -- a list or a dictionary of the entries since the last mark. */
static inline int pk_gather(pickle *k, int kind)
{
    pk_value v;
    int at = pk_unmark(k);
    if (k->a->st->code || !pk_make(k, kind, &v)) return 0;
    if (k->top == PK_STACK) return pk_bad(k, "is nested too deeply");
    memmove(k->stack + at + 1, k->stack + at, (size_t)(k->top - at) * sizeof v);
    k->stack[at] = v;
    k->top++;
    return pk_append(k, at + 1, kind == PK_DICT);
}

/* pk_lines -- module and name, a line each. */
static inline int pk_lines(pickle *k)
{
    pk_value v = { PK_NAME, 0, { 0 } };
    v.u.s = (const char *)k->p;
    if (!pk_line(k) || !pk_line(k)) return 0;
    v.n = (uint32_t)((const char *)k->p - v.u.s - 1);
    return pk_push(k, v);
}

/* pk_step -- one instruction; 0 at the end and after an error. */
static inline int pk_step(pickle *k)
{
    const pk_value other = { PK_OTHER, 0, { 0 } };
    const unsigned char *p = pk_bytes(k, 1);
    pk_value v, w;
    int at;
    if (!p) return 0;
    switch (*p) {
    case 0x80: return pk_bytes(k, 1) != NULL;          /* protocol */
    case 0x95: return pk_bytes(k, 8) != NULL;          /* frame */
    case '.': return 0;
    case '(': return pk_mark(k);
    case '0': pk_pop(k); return !k->a->st->code;
    case '1': k->top = pk_unmark(k); return !k->a->st->code;
    case '2': v = pk_pop(k); return pk_push(k, v) && pk_push(k, v);
    case 'J': return pk_int(k, pk_number(k, 4), 4);
    case 'K': return pk_int(k, pk_number(k, 1), 0);
    case 'M': return pk_int(k, pk_number(k, 2), 0);
    case 0x8a: return pk_long(k, pk_number(k, 1));
    case 0x8b: return pk_long(k, pk_number(k, 4));
    case 'G': return pk_bytes(k, 8) && pk_push(k, other);
    case 'N': return pk_push(k, other);
    case 0x88: case 0x89: return pk_int(k, *p == 0x88, 0);         /* true, false */
    case 'X': case 'T': return pk_text(k, PK_TEXT, pk_number(k, 4));
    case 0x8c: case 'U': return pk_text(k, PK_TEXT, pk_number(k, 1));
    case 0x8d: return pk_text(k, PK_TEXT, pk_number(k, 8));
    case 'B': return pk_text(k, PK_OTHER, pk_number(k, 4));
    case 'C': return pk_text(k, PK_OTHER, pk_number(k, 1));
    case 0x8e: case 0x96: return pk_text(k, PK_OTHER, pk_number(k, 8));
    case ')': return pk_tuple(k, 0);
    case 0x85: case 0x86: case 0x87: return pk_tuple(k, *p - 0x84);
    case 't': at = pk_unmark(k); return !k->a->st->code && pk_tuple(k, k->top - at);
    case ']': return pk_new(k, PK_LIST);
    case '}': return pk_new(k, PK_DICT);
    case 0x8f: return pk_push(k, other);               /* a set: without tensors */
    case 'l': return pk_gather(k, PK_LIST);
    case 'd': return pk_gather(k, PK_DICT);
    case 'a': return pk_append(k, k->top - 1, 0);
    case 's': return pk_append(k, k->top - 2, 1);
    case 'e': at = pk_unmark(k); return pk_append(k, at, 0);
    case 'u': at = pk_unmark(k); return pk_append(k, at, 1);
    case 0x90: at = pk_unmark(k); k->top = at; return !k->a->st->code;
    case 0x91: at = pk_unmark(k); k->top = at; return pk_push(k, other);
    case 'c': return pk_lines(k);
    case 0x93: w = pk_pop(k); v = pk_pop(k); return !k->a->st->code && pk_global(k, &v, &w);
    case 'R': case 0x81: w = pk_pop(k); v = pk_pop(k); return pk_call(k, v, w);
    case 0x92: pk_pop(k); w = pk_pop(k); v = pk_pop(k); return pk_call(k, v, w);
    case 'b':                                          /* attributes of an object */
        pk_pop(k);
        v = pk_pop(k);
        return v.kind == PK_NAME ? pk_refuse(k, &v) : pk_push(k, v);
    case 'h': return pk_get(k, pk_number(k, 1));
    case 'j': return pk_get(k, pk_number(k, 4));
    case 'q': return pk_put(k, pk_number(k, 1));
    case 'r': return pk_put(k, pk_number(k, 4));
    case 0x94: return pk_put(k, k->puts++);
    case 'Q': v = pk_pop(k); return !k->a->st->code && pk_persistent(k, v);
    default:
        read_bad(k->a->st, k->path, NULL, "its pickle is damaged or of another kind: "
                 "instruction %d at byte %ld", *p, (long)(p - k->start));
        return 0;
    }
}

/* pk_walk -- a source for each tensor below a value, under the names that lead to it, which stand
 * in k->name, len bytes. What is shared is met again on each way to it, within the room there is.
 * */
static inline void pk_walk(pickle *k, const pk_value *v, size_t len, int depth)
{
    pk_node *n = v->u.node;
    if (k->a->st->code || v->kind < PK_TUPLE || v->kind == PK_STORAGE) return;
    if (v->kind == PK_TENSOR) {
        source *f = n->open ? fd_new(k->a, source, 1) : n->u.tensor;
        char *name = pk_take(k, len + 1);
        if (!f || !name) return;
        if (n->open++) *f = *n->u.tensor;
        memcpy(name, k->name, len);
        name[len] = 0;
        f->member = name;
        f->next = NULL;
        *k->link = f;
        k->link = &f->next;
        return;
    }
    if (n->open || depth == PK_DEEP) { pk_bad(k, "is nested too deeply"); return; }
    n->open = 1;
    const pk_item *i = v->kind == PK_TUPLE ? NULL : n->u.c.first;
    for (uint32_t e = 0; v->kind == PK_TUPLE ? e < v->n : i != NULL; e++) {
        pk_value key = { PK_INT, 0, { 0 } };
        const pk_value *value = i ? &i->value : n->u.tuple + e;
        char *to = k->name + len + (len > 0);
        size_t left = sizeof k->name - len - 1, m;
        key.u.i = e;
        if (i) { key = i->key; i = i->next; }
        if (key.kind == PK_TEXT) m = key.n;
        else {
            long long at = key.kind == PK_INT ? (long long)key.u.i : (long long)e;
            m = (size_t)snprintf(to, left, "%lld", at);
        }
        if (m + 1 >= left) { pk_bad(k, "has a name that is too long"); return; }
        if (k->room < len + m + 64) { pk_bad(k, "names the same things too often"); return; }
        k->room -= len + m + 64;
        if (key.kind == PK_TEXT)
            for (size_t c = 0; c < m; c++) to[c] = key.u.s[c] ? key.u.s[c] : '?';
        if (len) k->name[len] = '.';
        pk_walk(k, value, len + (len > 0) + m, depth + 1);
    }
    n->open = 0;
}

/* read_torch -- the tensors that the pickle `program` of the zip holds. */
static inline source *read_torch(fd_arena *a, const char *path, const zip_file *zip,
                                 zip_file *program)
{
    pickle k;
    char *folder = program->name;
    memset(&k, 0, sizeof k);
    k.a = a;
    k.path = path;
    if (program->why) {
        read_bad(a->st, path, program->name, "%s", program->why);
        return NULL;
    }
    read_bytes b = zip_unpack(a, path, program->name, &program->packed, program->method,
                              program->size, program->crc);
    k.start = k.p = read_all(a, path, program->name, &b);
    if (!k.p) return NULL;
    k.end = k.p + b.size;
    folder[strlen(folder) - strlen("data.pkl")] = 0;
    k.folder = folder;
    for (const zip_file *z = zip; z; z = z->next) {
        unsigned char word[3];
        size_t n = strlen(folder);
        k.files++;
        if (strncmp(z->name, folder, n) || strcmp(z->name + n, "byteorder") || z->method) continue;
        const unsigned char *w = read_at(&z->packed, 0, 3, word);
        k.big = w && !memcmp(w, "big", 3);
    }
    k.zip = fd_raw(a, const zip_file *, k.files);
    k.memos = (size_t)b.size / 2 + 1;
    k.room = (size_t)b.size * 64 + 4096;
    k.stack = fd_raw(a, pk_value, PK_STACK);
    k.memo = fd_new(a, pk_value, k.memos);
    k.link = &k.first;
    if (a->st->code) return NULL;
    k.files = 0;
    for (const zip_file *z = zip; z; z = z->next) k.zip[k.files++] = z;
    qsort(k.zip, k.files, sizeof *k.zip, pk_by_name);
    while (pk_step(&k)) { }
    if (a->st->code) return NULL;
    if (k.p == k.start || k.p[-1] != '.' || k.top != 1 || k.marks) {
        pk_bad(&k, "is cut short");
        return NULL;
    }
    pk_walk(&k, k.stack, 0, 0);
    if (!k.first) read_bad(a->st, path, NULL, "it holds no tensor");
    return a->st->code ? NULL : k.first;
}

/* ---- MATLAB 5 to 7.2: elements of a tag (type, bytes) and data, arrays by column ------------- */

enum { MAT_MATRIX = 14, MAT_COMPRESSED = 15 };
typedef struct { uint32_t type; uint64_t at, size, next; } mat_tag;

/* mat_element -- the element at `at` of a run; its data may lie behind the end of what is there. */
static inline int mat_element(const read_bytes *b, uint64_t at, int big, mat_tag *e)
{
    unsigned char buf[8];
    const unsigned char *m = read_at(b, at, 8, buf);
    if (!m) return 0;
    e->type = (uint32_t)read_number(m, 4, big);
    e->size = read_number(m + 4, 4, big);
    e->at = at + 8;
    e->next = e->at + ((e->size + 7) & ~(uint64_t)7);
    if (e->type >> 16) {                               /* a small one: within 8 bytes */
        e->size = e->type >> 16;
        e->type &= 0xffff;
        e->at = at + 4;
        e->next = at + 8;
        return e->size <= 4;
    }
    return 1;
}

static inline const read_type *mat_type(uint32_t code, int class)
{
    for (int i = 0; i < READ_TYPES && code && code < 64; i++)
        if ((class ? read_types[i].mx : read_types[i].mi) == (int)code) return read_types + i;
    return NULL;
}

/* mat_axes -- the extents of an array; 0 where they cannot be, or go on behind what is there. */
static inline int mat_axes(const read_bytes *b, const mat_tag *e, int big, source *f)
{
    unsigned char buf[4];
    if ((e->type != 5 && e->type != 6) || e->size % 4 || !e->size) return 0;
    for (uint64_t i = 0; i < e->size / 4; i++) {
        const unsigned char *m = read_at(b, e->at + 4 * i, 4, buf);
        uint64_t v = m ? read_number(m, 4, big) : 0;
        if (!m) return 0;
        if (i == FD_MAXD) break;
        if (v > INT_MAX) { f->nd = 0; return 0; }
        f->n[f->nd++] = (int)v;
    }
    return 1;
}

/* mat_parts -- where the numbers are, or the real parts and the imaginary ones. */
static inline void mat_parts(const read_bytes *b, uint64_t at, uint64_t size, int big, source *f)
{
    mat_tag e;
    uint64_t step = 1;
    for (int i = 0; i < f->nd; i++)                    /* in elements here */
        step = f->n[i] && step > (uint64_t)PTRDIFF_MAX / 16 / (uint64_t)f->n[i] ? UINT64_MAX / 2
             : step * (uint64_t)f->n[i];
    f->data = *b;
    f->data.size = size;
    for (int p = 0; p < f->parts; p++, at = e.next) {
        if (!mat_element(b, at, big, &e)) {            /* not among the first bytes */
            if (b->size == size || !p) f->why = "cut short";
            return;
        }
        const read_type *in = mat_type(e.type, 0);     /* may be smaller than the class */
        uint64_t s = 1;
        if (!in || step > e.size / (uint64_t)in->size || e.at > size || e.size > size - e.at) {
            f->why = "damaged: its data are shorter than its shape";
            return;
        }
        f->part[p].type = in;
        f->part[p].big = big;
        f->part[p].at = e.at;
        for (int i = 0; i < f->nd; i++, s *= s <= step ? (uint64_t)f->n[i - 1] : 1)
            f->part[p].stride[i] = step ? (ptrdiff_t)(s * (uint64_t)in->size) : 0;
    }
}

/* mat_array -- the array in the `size` bytes of a matrix element, of which b may have the first
 * ones only. f->method has the byte order already: see read_mat. name: room for 64. */
static inline void mat_array(const read_bytes *b, uint64_t size, int big, source *f, char name[64])
{
    static const char *const classes[] = { "unknown", "cell", "struct", "object", "char",
                                           "sparse" };
    unsigned char buf[64];
    mat_tag e;
    name[0] = 0;
    f->format = "MATLAB 5";
    f->type = "unknown";
    f->why = "damaged: no array";
    f->nd = 0;
    const unsigned char *m = mat_element(b, 0, big, &e) ? read_at(b, e.at, 8, buf) : NULL;
    if (!m || e.size != 8 || e.type != 6) return;
    uint32_t flags = (uint32_t)read_number(m, 4, big), class = flags & 255;
    const read_type *t = mat_type(class, 1);
    if (!mat_element(b, e.next, big, &e) || !mat_axes(b, &e, big, f)) return;
    const int many = e.size / 4 > FD_MAXD;
    if (!mat_element(b, e.next, big, &e) || (e.type != 1 && e.type != 16)) return;
    uint64_t n = e.size < 63 ? e.size : 63;
    m = read_at(b, e.at, n, buf);
    if (!m) return;
    memcpy(name, m, (size_t)n);
    name[n] = 0;
    f->why = !t ? class == 5 ? "sparse: write full(..) of it" : "it is not an array of numbers"
           : many ? "more than 6 axes" : NULL;
    f->type = t ? t->name : class < 6 ? classes[class] : class == 16 ? "function" : "unknown";
    if (f->why) return;
    f->parts = flags & 0x800 ? 2 : 1;
    f->complex = f->parts == 2;
    if (flags & 0x200) t = read_types, f->type = t->name;          /* truth, stored as uint8 */
    f->bytes = t->size == 1 && t->kind == 'u';
    if (f->complex) f->type = t->size == 4 ? "complex64" : "complex128";
    mat_parts(b, e.next, size, big, f);
    if (f->complex && f->nd == FD_MAXD) f->why = "more than 5 axes of complex numbers";
    else if (f->complex) f->n[f->nd++] = 2;
}

static inline void mat_parse(const read_bytes *b, uint64_t size, source *f, int big)
{
    char name[64];
    read_bytes inner = read_part(b, 8, b->size - 8);
    mat_array(&inner, size - 8, big, f, name);
}

static inline void mat_parse_little(fd_arena scratch, const read_bytes *b, uint64_t size, source *f)
{
    (void)scratch;
    mat_parse(b, size, f, 0);
}

static inline void mat_parse_big(fd_arena scratch, const read_bytes *b, uint64_t size, source *f)
{
    (void)scratch;
    mat_parse(b, size, f, 1);
}

static inline int mat_is(const unsigned char *m, uint64_t n)       /* 128 bytes */
{
    return n >= 128 && ((m[124] == 0 && m[125] == 1 && m[126] == 'I' && m[127] == 'M')
                        || (m[124] == 1 && m[125] == 0 && m[126] == 'M' && m[127] == 'I'));
}

/* read_mat -- an array for each variable; the compressed ones are unpacked when they are opened. */
static inline source *read_mat(fd_arena *a, const char *path, const read_bytes *b)
{
    unsigned char buf[128];
    const unsigned char *m = read_at(b, 0, 128, buf);
    source *first = NULL, **link = &first;
    int big = m && m[126] == 'M';
    mat_tag e, inner;
    for (uint64_t at = 128, next; m && at < b->size; at = next) {
        char name[64];
        fd_arena mark = *a;
        source *f = source_new(a, path, "");
        char *copy = fd_raw(a, char, sizeof name);
        if (!copy) return NULL;
        if (!mat_element(b, at, big, &e) || e.at > b->size || e.size > b->size - e.at) {
            read_bad(a->st, path, NULL, "cut short: a variable goes on behind the end of the file");
            return NULL;
        }
        next = e.type == MAT_COMPRESSED ? e.at + e.size : e.next;      /* that one is not padded */
        read_bytes whole = read_part(b, e.at, e.size);
        if (e.type == MAT_MATRIX) mat_array(&whole, whole.size, big, f, name);
        else if (e.type == MAT_COMPRESSED) {
            fd_arena scratch = *a;
            unsigned char *head = fd_raw(&scratch, unsigned char, READ_FIRST);
            const unsigned char *p = read_all(&scratch, path, NULL, &whole);
            if (!p) return NULL;
            read_first(p, e.size, READ_ZLIB, head);
            read_bytes some = { head, NULL, 0, READ_FIRST };
            if (!mat_element(&some, 0, big, &inner) || inner.type != MAT_MATRIX) {
                read_bad(a->st, path, NULL, "damaged: a compressed variable cannot be unpacked");
                return NULL;
            }
            f->packed = whole;
            f->method = READ_ZLIB;
            f->size = inner.size + 8;
            f->parse = big ? mat_parse_big : mat_parse_little;
            some = read_part(&some, 8, inner.size < READ_FIRST - 8 ? inner.size : READ_FIRST - 8);
            mat_array(&some, inner.size, big, f, name);
        } else name[0] = 0;
        if (!name[0]) { *a = mark; continue; }         /* MATLAB's own, without a name */
        memcpy(copy, name, sizeof name);
        f->member = copy;
        *link = f;
        link = &f->next;
    }
    if (!first) read_bad(a->st, path, NULL, "it holds no variable");
    return first;
}

/* ---- Text: numbers with commas, semicolons, tabs or blanks between, a line for a function ---- */

typedef struct { const unsigned char *p, *end; int sep; long line; } csv;

/* csv_line -- the next line that has something in it; 0 at the end. */
static inline int csv_line(csv *c, const unsigned char **from, const unsigned char **to)
{
    while (c->p < c->end) {
        const unsigned char *q = memchr(c->p, '\n', (size_t)(c->end - c->p));
        *from = c->p;
        *to = q ? q : c->end;
        c->p = q ? q + 1 : c->end;
        c->line++;
        while (*to > *from && isspace((*to)[-1])) --*to;
        while (*from < *to && (**from == ' ' || (c->sep != '\t' && **from == '\t'))) ++*from;
        if (*from < *to && **from != '#') return 1;
    }
    return 0;
}

/* csv_field -- the next field of a line, without blanks and quotes; *from is behind its separator.
 * Returns its length, -1 at the end of the line. A separator at the end has an empty field behind
 * it. */
static inline ptrdiff_t csv_field(const csv *c, const unsigned char **from, const unsigned char *to,
                                  const unsigned char **field)
{
    const unsigned char *p = *from, *q;
    if (!p || p > to) return -1;
    if (c->sep == ' ') {
        for (q = p; q < to && *q != ' ' && *q != '\t'; ) q++;
        for (*from = q; *from < to && (**from == ' ' || **from == '\t'); ) ++*from;
        if (*from == to) *from = NULL;
    } else {
        int quoted = 0;
        for (q = p; q < to && (quoted || *q != c->sep); q++) quoted ^= *q == '"';
        *from = q < to ? q + 1 : NULL;
    }
    while (p < q && isspace(*p)) p++;
    while (q > p && isspace(q[-1])) q--;
    if (q - p >= 2 && *p == '"' && q[-1] == '"') { p++; q--; }
    *field = p;
    return q - p;
}

/* csv_number -- 1 where a field is a number. */
static inline int csv_number(const unsigned char *p, ptrdiff_t n, double *v)
{
    char text[64], *end;
    if (n < 1 || n >= (ptrdiff_t)sizeof text) return 0;
    memcpy(text, p, (size_t)n);
    text[n] = 0;
    for (ptrdiff_t i = 0; i < n; i++) if (!isdigit(p[i]) && !memchr("+-.eE", p[i], 5)) {
        for (char *t = text; *t; t++) *t = (char)tolower((unsigned char)*t);
        const char *word = text + (*text == '+' || *text == '-');
        if (strcmp(word, "nan") && strcmp(word, "inf") && strcmp(word, "infinity")) return 0;
        break;
    }
    *v = strtod(text, &end);
    return !*end;
}

static inline int csv_fail(fd_status *st, const char *path, const csv *c, int col, const char *what,
                           const unsigned char *field, ptrdiff_t n)
{
    char text[32];
    int m = n < 24 ? (int)n : 24;
    for (int i = 0; i < m; i++) text[i] = (char)(isprint(field[i]) ? field[i] : '?');
    text[m] = 0;
    return read_bad(st, path, NULL, "line %ld, number %d: %s: '%s'", c->line, col, what, text);
}

static inline void read_csv(fd_arena *a, const char *path, const read_bytes *b, source *f)
{
    const unsigned char *p = read_all(a, path, NULL, b), *from, *to, *field;
    double *x = NULL, v;
    ptrdiff_t n, rows = 0, cols = 0;
    f->format = "text";
    if (!p) return;
    csv start = { p, p + b->size, ' ', 0 }, c;
    if (b->size > 3 && !memcmp(p, "\xef\xbb\xbf", 3)) start.p += 3;
    c = start;
    if (!csv_line(&c, &from, &to)) { read_bad(a->st, path, NULL, "it is empty"); return; }
    size_t len = (size_t)(to - from);
    for (const char *sep = ";\t,"; *sep && start.sep == ' '; sep++)
        if (memchr(from, *sep, len)) start.sep = *sep;
    c = start;
    csv_line(&c, &from, &to);
    int words = 0, numbers = 0, counted = 1, nameless = 0;         /* of the first line */
    for (int i = 0; (n = csv_field(&c, &from, to, &field)) >= 0; i++) {
        int is = csv_number(field, n, &v);
        numbers += is;
        words += !is && n;
        nameless |= !i && !n;
        counted &= is && v >= i && v <= i;
    }
    if ((nameless || counted) && nameless + words + numbers > 1) { /* ,a,b,.. or 0,1,2,.. */
        read_bad(a->st, path, NULL, "it begins with the row or column numbers of pandas: "
                 "write it with to_csv(.., index=False, header=False)");
        return;
    }
    if (words && !numbers) start = c;
    for (int fill = 0; fill < 2; fill++) {
        ptrdiff_t row = 0;
        for (c = start; csv_line(&c, &from, &to); row++) {
            int col = 0;
            for (; (n = csv_field(&c, &from, to, &field)) >= 0; col++) {
                const char *what = NULL;
                if (row && col >= cols) what = "more numbers than in the lines before";
                else if (n < 1) what = "a number is missing";
                else if (csv_number(field, n, &v)) what = NULL;
                else if (c.sep == ';' && memchr(field, ',', (size_t)n))
                    what = "a comma in a number: write a point";
                else what = "not a number";
                if (what) { csv_fail(a->st, path, &c, col + 1, what, field, n); return; }
                if (fill) x[row * cols + col] = v;
            }
            if (row && col < cols) {
                csv_fail(a->st, path, &c, col + 1, "a number is missing", to, 0);
                return;
            }
            cols = col;
        }
        rows = row;
        if (!rows) { read_bad(a->st, path, NULL, "it has no line of numbers"); return; }
        if (rows > INT_MAX) { read_bad(a->st, path, NULL, "too many lines"); return; }
        if (!fill) x = fd_raw(a, double, rows * cols);
        if (!x) return;
    }
    f->data = (read_bytes){ (unsigned char *)x, b->map, 0, (uint64_t)(rows * cols) * sizeof *x };
    f->nd = 2;
    f->n[0] = (int)rows;
    f->n[1] = (int)cols;
    read_shape(f, read_type_of("float64"), read_host_big(), 0);
}

/* ---- Pictures: a folder of PNG or JPEG of one size ------------------------------------------- */

static inline int picture_is(const unsigned char *m, uint64_t n)
{
    return n > 8 && (!memcmp(m, "\x89PNG\r\n\x1a\n", 8) || !memcmp(m, "\xff\xd8\xff", 3));
}

static inline int picture_named(const char *name)
{
    const char *dot = strrchr(name, '.');
    char end[6] = "";
    if (!dot || name[0] == '.' || strlen(dot) > 5) return 0;
    for (int i = 0; dot[i]; i++) end[i] = (char)tolower((unsigned char)dot[i]);
    return !strcmp(end, ".png") || !strcmp(end, ".jpg") || !strcmp(end, ".jpeg");
}

/* picture_fail -- why stb_image gave nothing: its memory has an end, or the picture is bad. */
static inline void picture_fail(fd_status *st, const char *path, const fd_arena *scratch)
{
    if (read_stb_status.code && read_stb.end == scratch->end) fd_fail_as(st, &read_stb_status);
    read_bad(st, path, NULL, "damaged, or a kind that is not read: %s", stbi_failure_reason());
}

/* picture_sane -- what stb_image before 2.28 does not look at: it writes past its tables where a
 * JPEG has more than 256 Huffman codes in one, and copies to NULL where the first pixels of a PNG
 * are none. The walk from marker to marker is stb_image's. */
static inline int picture_sane(const unsigned char *p, size_t n)
{
    size_t i = p[0] == 0x89 ? 8 : n;
    while (i + 8 <= n) {                               /* PNG: length, type, data, checksum */
        uint64_t len = read_number(p + i, 4, 1);
        if (!memcmp(p + i + 4, "IDAT", 4)) return len > 0;
        i = len + 12 < n - i ? i + 12 + (size_t)len : n;
    }
    for (i = p[0] == 0x89 ? n : 2; i + 4 <= n; ) {
        if (p[i] != 0xff) { i++; continue; }
        int m = p[i + 1];
        if (m == 0xff) { i++; continue; }
        i += 2;
        if (m == 0xd9) return 1;                       /* the end */
        if (!m || m == 1 || (m >= 0xd0 && m <= 0xd8)) continue;            /* without a length */
        size_t len = (size_t)p[i] << 8 | p[i + 1], k = i + 2, end = len < n - i ? i + len : n;
        while (m == 0xc4 && k < end) {                 /* tables; the last may reach further */
            size_t codes = 0;
            for (size_t j = k + 1; j <= k + 16 && j < n; j++) codes += p[j];
            if (codes > 256) return 0;
            k += 17 + codes;
        }
        i += len < 2 ? 2 : len;
    }
    return 1;
}

/* picture_bytes -- a picture's file, in memory. */
static inline const unsigned char *picture_bytes(fd_arena *a, const char *path, read_bytes *b)
{
    *b = read_file(a, path);
    const unsigned char *p = read_all(a, path, NULL, b);
    if (!p || b->size > INT_MAX || !picture_is(p, b->size))
        read_bad(a->st, path, NULL, "no PNG or JPEG, in spite of its name");
    else if (!picture_sane(p, (size_t)b->size))
        read_bad(a->st, path, NULL, "damaged: its codes or pixels are none");
    read_broken(a->st, path, b->map);
    return a->st->code ? NULL : p;
}

/* read_picture -- picture i as doubles, f->n[1] x f->n[2] x channels. */
static inline void read_picture(const source *f, int i, double *x, fd_arena scratch)
{
    const char *path = f->file[i];
    read_bytes b;
    const unsigned char *p = picture_bytes(&scratch, path, &b);
    int wide = f->part[0].type->size, ch = f->nd == 4 ? 3 : 1, all = ch + f->alpha;
    int w = 0, h = 0, c = 0;
    ptrdiff_t points = (ptrdiff_t)f->n[1] * f->n[2];
    size_t most = (size_t)points * 48 + 4 * (size_t)b.size + (1 << 20);    /* what sane ones take */
    read_stb_begin(scratch, most);
    if (p && !stbi_info_from_memory(p, (int)b.size, &w, &h, &c))
        picture_fail(scratch.st, path, &scratch);
    else if (p && (h != f->n[1] || w != f->n[2]))
        read_bad(scratch.st, path, NULL, "its size has changed");
    else if (p) {
        unsigned char *got = wide == 2
            ? (unsigned char *)stbi_load_16_from_memory(p, (int)b.size, &w, &h, &c, all)
            : stbi_load_from_memory(p, (int)b.size, &w, &h, &c, all);
        if (!got) picture_fail(scratch.st, path, &scratch);
        for (ptrdiff_t k = 0; got && k < points; k++)
            for (int j = 0; j < all; j++) {
                uint16_t v16 = 0;
                if (wide == 2) memcpy(&v16, got + 2 * (k * all + j), 2);
                double v = wide == 2 ? v16 : got[k * all + j];
                if (j < ch) x[k * ch + j] = v;
                else if (v < (wide == 2 ? 65535 : 255)) {
                    read_bad(scratch.st, path, NULL, "it has transparent parts: flatten it, "
                             "mogrify -background white -flatten");
                    got = NULL;
                    break;
                }
            }
    }
    read_unmap(b.map);
}

static inline int picture_order(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* picture_list -- the paths of the pictures in a folder, or the one picture, by name. */
static inline char **picture_list(fd_arena *a, const char *path, int *count)
{
    DIR *d = opendir(path);
    char **name = NULL;
    *count = 0;
    for (int pass = 0; pass < 2 && d; pass++) {
        int n = 0;
        rewinddir(d);
        for (struct dirent *e; (e = readdir(d)); ) {
            size_t len = strlen(path) + strlen(e->d_name) + 2;
            if (!picture_named(e->d_name) || n == INT_MAX || (pass && n == *count)) continue;
            if (pass) {
                name[n] = fd_raw(a, char, len);
                if (!name[n]) break;
                snprintf(name[n], len, "%s/%s", path, e->d_name);
            }
            n++;
        }
        *count = n;
        if (!pass) name = fd_raw(a, char *, n);
        if (!name) break;
    }
    if (d) closedir(d);
    if (name && !a->st->code) qsort(name, (size_t)*count, sizeof *name, picture_order);
    return a->st->code ? NULL : name;
}

static inline void read_pictures(fd_arena *a, source *f, int count, char **name)
{
    int ch = 0, wide = -1;
    f->format = count > 1 ? "pictures" : "picture";
    f->file = name;
    f->files = count;
    for (int i = 0; i < count && !a->st->code; i++) {
        fd_arena scratch = *a;
        read_bytes b;
        int w = 0, h = 0, c = 0;
        const unsigned char *p = picture_bytes(&scratch, name[i], &b);
        read_stb_begin(scratch, 1 << 20);
        if (p && !stbi_info_from_memory(p, (int)b.size, &w, &h, &c))
            picture_fail(a->st, name[i], &scratch);
        int two = p ? stbi_is_16_bit_from_memory(p, (int)b.size) : 0;
        read_unmap(b.map);
        if (a->st->code) return;
        if (!i) { f->n[1] = h; f->n[2] = w; wide = two; }
        if (h != f->n[1] || w != f->n[2])
            read_bad(a->st, name[i], NULL, "it is %d x %d pixels, and %s %d x %d: all must have "
                     "one size; mogrify -resize", w, h, name[0], f->n[2], f->n[1]);
        if (two != wide)
            read_bad(a->st, name[i], NULL, "16 and 8 bits are mixed: mogrify -depth 8 makes one");
        if (c > 2) ch = 3;
        f->alpha |= c == 2 || c == 4;
    }
    f->n[0] = count;
    f->nd = ch ? 4 : 3;
    f->n[3] = 3;
    f->data.size = UINT64_MAX;
    read_shape(f, read_type_of(wide ? "uint16" : "uint8"), 0, 0);
    f->data.size = 0;
}

/* ---- What is not read, and what to do with it ------------------------------------------------ */

#define READ_PY(with, array) \
    "python3 -c \"import numpy, " with "; numpy.save('new.npy', " array ")\""
#define READ_PICKLE READ_PY("pickle", "pickle.load(open('%s', 'rb'))")
#define READ_NETCDF READ_PY("scipy.io", "scipy.io.netcdf_file('%s').variables['NAME'][:]")
#define READ_NETCDF4 READ_PY("netCDF4", "netCDF4.Dataset('%s')['NAME'][:]")
#define READ_TIFF READ_PY("tifffile", "tifffile.imread('%s')")
#define READ_MOGRIFY "mogrify -format png %s, and name the folder of the PNG files"
static const struct { const char *magic; int len, at; const char *what, *todo; } read_others[] = {
    { "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a", 11, 0, "PyTorch's format before 1.6",
      "python3 -c \"import torch; torch.save(torch.load('%s', 'cpu'), 'new.pt')\"" },
    { "\x80\x02", 2, 0, "a pickle of Python", READ_PICKLE },
    { "\x80\x03", 2, 0, "a pickle of Python", READ_PICKLE },
    { "\x80\x04", 2, 0, "a pickle of Python", READ_PICKLE },
    { "\x80\x05", 2, 0, "a pickle of Python", READ_PICKLE },
    { "CDF\1", 4, 0, "netCDF", READ_NETCDF },
    { "CDF\2", 4, 0, "netCDF", READ_NETCDF },
    { "CDF\5", 4, 0, "netCDF", READ_NETCDF4 },
    { "version https://git-lfs", 23, 0, "a pointer of git LFS, not the file", "git lfs pull" },
    { "PAR1", 4, 0, "Parquet", READ_PY("pandas", "pandas.read_parquet('%s').to_numpy()") },
    { "ARROW1", 6, 0, "Arrow", READ_PY("pandas", "pandas.read_feather('%s').to_numpy()") },
    { "II*\0", 4, 0, "TIFF", READ_TIFF },
    { "MM\0*", 4, 0, "TIFF", READ_TIFF },
    { "II+\0", 4, 0, "TIFF", READ_TIFF },
    { "SIMPLE  =", 9, 0, "FITS", READ_PY("astropy.io.fits", "astropy.io.fits.getdata('%s')") },
    { "GRIB", 4, 0, "GRIB",
      READ_PY("xarray", "xarray.open_dataset('%s', engine='cfgrib')['NAME']") },
    { "NRRD", 4, 0, "NRRD", READ_PY("nrrd", "nrrd.read('%s')[0]") },
    { "RDX", 3, 0, "data of R", "in R: load('%s'); write.csv(x, 'new.csv', row.names = FALSE)" },
    { "GIF8", 4, 0, "GIF", READ_MOGRIFY },
    { "WEBP", 4, 8, "WebP", READ_MOGRIFY },
    { "BM", 2, 0, "a BMP picture", READ_MOGRIFY },
    { "BZh", 3, 0, "compressed by bzip2", "bunzip2 %s" },
    { "\xfd" "7zXZ", 5, 0, "compressed by xz", "unxz %s" },
    { "\x28\xb5\x2f\xfd", 4, 0, "compressed by zstd", "unzstd %s" },
    { "7z\xbc\xaf", 4, 0, "a 7z archive", "7z x %s" },
    { "Rar!", 4, 0, "a rar archive", "unrar x %s" },
    { "ustar", 5, 257, "a tar archive", "tar xf %s" },
    { "%PDF", 4, 0, "a PDF", "fetch the data themselves" } };

static inline void read_other(fd_status *st, const char *path, const char *what, const char *todo)
{
    char line[500];
    const char *at = strstr(todo, "%s");
    if (at) snprintf(line, sizeof line, "%.*s%.200s%s", (int)(at - todo), todo, path, at + 2);
    else snprintf(line, sizeof line, "%s", todo);
    read_bad(st, path, NULL, "%s, which is not read: %s", what, line);
}

static inline int read_ends(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && !strcmp(path + n - m, end);
}

/* read_name_it -- what a file is that none of the readers takes, by its first bytes, at most 4096;
 * 0 where it may be text with numbers. */
static inline int read_name_it(fd_status *st, const char *path, const unsigned char *m, size_t n,
                               const read_bytes *b)
{
    static const char h5[] = "\x89HDF\r\n\x1a\n";
    unsigned char buf[8];
    char word[16] = "";
    size_t k = 0, w = 0;
    for (uint64_t at = 0; at < b->size; at = at ? 2 * at : 512) {  /* a block may be before it */
        const unsigned char *h = read_at(b, at, 8, buf);
        if (!h || memcmp(h, h5, 8)) continue;
        if (n > 10 && !memcmp(m, "MATLAB 7.3", 10))
            read_other(st, path, "MATLAB 7.3", "in MATLAB: save new.mat NAME -v7; or " READ_PY(
                       "h5py", "h5py.File('%s')['NAME'][()].T"));
        else if (read_ends(path, ".nc") || read_ends(path, ".nc4") || read_ends(path, ".cdf"))
            read_other(st, path, "netCDF 4", READ_NETCDF4);
        else read_other(st, path, "HDF5", READ_PY("h5py", "h5py.File('%s')['NAME'][()]"));
        return 1;
    }
    for (size_t i = 0; i < sizeof read_others / sizeof *read_others; i++) {
        size_t at = (size_t)read_others[i].at, len = (size_t)read_others[i].len;
        if (n < at + len || memcmp(m + at, read_others[i].magic, len)) continue;
        read_other(st, path, read_others[i].what, read_others[i].todo);
        return 1;
    }
    if (n > 2 && !memcmp(m, "\xef\xbb\xbf", 3)) k = 3;
    while (k < n && isspace(m[k])) k++;
    for (; k < n && w < sizeof word - 1; k++) word[w++] = (char)tolower(m[k]);
    for (int i = 0; i < 4; i++) {
        static const char *const tags[] = { "<!doctype html", "<html", "<head", "<?xml" };
        if (strncmp(word, tags[i], strlen(tags[i]))) continue;
        read_other(st, path, "a web page", "the download went wrong (a login?): fetch it again");
        return 1;
    }
    if (*word == '{' || *word == '[') {
        if (read_ends(path, ".index.json"))
            read_other(st, path, "an index of weights in several files", "name one of these");
        else read_other(st, path, "JSON", READ_PY("json", "json.load(open('%s'))"));
        return 1;
    }
    for (k = 0; k < n; k++)
        if (m[k] < 9 || (m[k] > 13 && m[k] < 32) || m[k] == 127) {
            read_bad(st, path, NULL, "none of .npy, .npz, .safetensors, .pt, .mat, IDX, .csv, PNG "
                     "or JPEG%s", !read_ends(path, ".mat") ? "" :
                     "; MATLAB 4, perhaps: in MATLAB, save new.mat NAME -v7");
            return 1;
        }
    return 0;
}

/* ---- Opening, reading, closing --------------------------------------------------------------- */

/* source_folder -- a folder of pictures, or why it is none. */
static inline source *source_folder(fd_arena *a, const char *path)
{
    struct stat s;
    char text[500];
    int count;
    char **name = picture_list(a, path, &count);
    source *f = source_new(a, path, "");
    if (f && count) read_pictures(a, f, count, name);
    if (!f || count) return a->st->code ? NULL : f;
    static const char *const zarr[] = { ".zarray", ".zgroup", "zarr.json" };
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "%.400s/%s", path, zarr[i]);
        if (!stat(text, &s))
            read_other(a->st, path, "zarr", READ_PY("zarr", "zarr.open('%s')[:]"));
    }
    read_bad(a->st, path, NULL, "a folder without PNG or JPEG files");
    return NULL;
}

/* source_zip -- weights of PyTorch, or .npz. */
static inline source *source_zip(fd_arena *a, const char *path, const read_bytes *b)
{
    zip_file *all = zip_list(a, path, b);
    for (zip_file *z = all; z; z = z->next)
        if (!strcmp(z->name, "data.pkl") || read_ends(z->name, "/data.pkl"))
            return read_torch(a, path, all, z);
    return all ? read_npz(a, path, all) : NULL;
}

/* source_list_of -- the arrays in a file, whose bytes are b. */
static inline source *source_list_of(fd_arena *a, const char *path, read_bytes b)
{
    unsigned char buf[4096];
    source *f = NULL;
    uint64_t n = b.size < sizeof buf ? b.size : sizeof buf;
    const unsigned char *m = a->st->code ? NULL : read_at(&b, 0, n, buf);
    if (m && !n) read_bad(a->st, path, NULL, "it is empty");
    if (m && n > 2 && m[0] == 0x1f && m[1] == 0x8b) {
        b = read_gunzip(a, path, &b);
        n = b.size < sizeof buf ? b.size : sizeof buf;
        m = a->st->code ? NULL : read_at(&b, 0, n, buf);
    }
    if (!m) read_fail(a->st, FD_EIO, path, NULL, "cannot be read");
    else if (n >= 6 && !memcmp(m, "\x93NUMPY", 6)) {
        f = source_new(a, path, "");
        if (f) read_npy(*a, &b, b.size, f);
    } else if (idx_is(m, n)) {
        f = source_new(a, path, "");
        if (f) read_idx(&b, f);
    } else if (n > 3 && (!memcmp(m, "PK\3\4", 4) || !memcmp(m, "PK\5\6", 4)))
        f = source_zip(a, path, &b);
    else if (safe_is(m, n)) f = read_safe(a, path, &b);
    else if (mat_is(m, n)) f = read_mat(a, path, &b);
    else if (picture_is(m, n)) {
        char **one = fd_raw(a, char *, 1);
        f = source_new(a, path, "");
        if (f) { *one = (char *)f->path; read_pictures(a, f, 1, one); }
    } else if (!read_name_it(a->st, path, m, (size_t)n, &b)) {
        f = source_new(a, path, "");
        if (f) read_csv(a, path, &b, f);
    }
    return f;
}

static inline source *source_list(fd_arena *a, const char *path)
{
    fd_arena before = *a;
    struct stat s;
    read_bytes b = { NULL, NULL, 0, 0 };
    source *f;
    if (!stat(path, &s) && S_ISDIR(s.st_mode)) f = source_folder(a, path);
    else {
        b = read_file(a, path);
        f = source_list_of(a, path, b);
        read_broken(a->st, path, b.map);
    }
    if (f && !a->st->code) {
        if (!f->data.map) f->data.map = b.map;
        return f;
    }
    read_unmap(b.map);
    *a = before;
    return NULL;
}

static inline int source_below(const source *f, const char *key)
{
    size_t n = strlen(key);
    return !n || (!strncmp(f->member, key, n) && (!f->member[n] || f->member[n] == '.'));
}

static inline const char *source_split(fd_arena *a, const char *name, const char **member)
{
    struct stat s;
    size_t n = strlen(name);
    char *path = fd_raw(a, char, n + 1);
    if (!path) return NULL;
    memcpy(path, name, n + 1);
    *member = path + n;
    if (!stat(path, &s)) return path;
    for (char *p = path + n; p-- > path; ) {
        if (*p != ':') continue;
        *p = 0;
        *member = p + 1;
        if (!stat(path, &s)) return path;
        *p = ':';
    }
    *member = path + n;
    return path;
}

/* source_names -- the members, for an error. */
static inline const char *source_names(const source *all, char *text, size_t room)
{
    size_t n = 0;
    for (; all && n + 4 < room; all = all->next)
        n += (size_t)snprintf(text + n, room - n, "%s%.60s", n ? ", " : "", all->member);
    if (all || n >= room) memcpy(text + room - 4, "...", 4);
    return text;
}

static inline source source_open(fd_arena *a, const char *name)
{
    char text[240] = "";
    source none;
    fd_arena before = *a;
    const char *member = "", *path = source_split(a, name, &member);
    source *all = path ? source_list(a, path) : NULL, *f = NULL;
    read_map *map = all ? all->data.map : NULL;
    int count = 0;
    memset(&none, 0, sizeof none);
    for (source *s = all; s; s = s->next) {
        if (*member ? strcmp(s->member, member) : s->why != NULL) continue;
        if (!count++) f = s;
    }
    if (all && !f && !*member) f = all;
    if (all && !f)
        read_bad(a->st, path, NULL, "has no '%.60s'; it has %s", member, !*all->member
                 ? "one array, without a name" : source_names(all, text, sizeof text));
    else if (all && count > 1 && *member) read_bad(a->st, path, member, "is there twice");
    else if (all && count > 1)
        read_bad(a->st, path, NULL, "holds several arrays: name one, as in %.100s:%.60s; it has %s",
                 path, f->member, source_names(all, text, sizeof text));
    else if (f && f->why) read_bad(a->st, path, f->member, "%s", f->why);
    if (f) source_load(a, f);
    read_broken(a->st, path, map);
    if (f && !a->st->code) {
        f->data.map = map;
        return *f;
    }
    read_unmap(map);
    *a = before;
    return none;
}

static inline void source_load(fd_arena *a, source *f)
{
    if (f->why) read_bad(a->st, f->path, f->member, "%s", f->why);
    if (a->st->code || !f->packed.size) return;
    read_map *map = f->data.map;
    read_bytes b = f->method == READ_ZLIB
                 ? read_inflate(a, f->path, f->member, &f->packed, f->method, f->size)
                 : zip_unpack(a, f->path, f->member, &f->packed, f->method, f->size, f->crc);
    if (a->st->code) return;
    f->data = b;
    if (f->parse) f->parse(*a, &b, b.size, f);
    f->data.map = map;
    if (f->why) read_bad(a->st, f->path, f->member, "%s", f->why);
}

static inline fd_tensors source_tensors(fd_arena *a, const char *name, int data)
{
    fd_tensors r = { .count = 0 };
    const char *key = "", *path = source_split(a, name, &key);
    source *all = path ? source_list(a, path) : NULL;
    size_t n = strlen(key);
    int count = 0;
    for (source *f = all; f; f = f->next) count++;
    r.tensor = fd_new(a, fd_tensor, count);
    r.other = fd_new(a, fd_tensor, count);
    for (source *f = all; f && !a->st->code; f = f->next) {
        char kind = f->parts && !f->why ? f->part[0].type->kind : 0;
        if (!source_below(f, key) || (n && !f->member[n])) continue;
        int no = f->why || !strchr("fg", kind) || !kind || f->files;
        fd_tensor *t = no ? r.other + r.others++ : r.tensor + r.count++;
        t->name = f->member + n + (n > 0);
        t->nd = f->nd;
        memcpy(t->n, f->n, sizeof t->n);
        if (no) {
            const char *why = f->why ? f->why : f->files ? "pictures"
                            : kind == 'b' ? "truth values" : "whole numbers";
            size_t room = strlen(f->type) + strlen(why) + 3;
            char *type = fd_raw(a, char, room);
            if (type) snprintf(type, room, "%s: %s", f->type, why);
            t->type = type;
        }
        if (!data || no) continue;
        ptrdiff_t size = source_count(f);
        t->x = fd_raw(a, fd_real, size);
        fd_arena scratch = *a;
        source_load(&scratch, f);
        if (t->x && !a->st->code) source_some(f, 0, size, t->x, NULL, scratch);
    }
    if (all && !r.count)
        read_bad(a->st, path, NULL, n ? "it has no numbers below '%.60s'"
                 : "it has no real numbers%.0s", key);
    source_close(all);
    return r;
}

static inline ptrdiff_t source_slab(const source *f)
{
    ptrdiff_t n = 1;
    for (int i = 1; i < f->nd; i++) n *= f->n[i];
    return n;
}

static inline ptrdiff_t source_count(const source *f)
{
    return (f->nd ? f->n[0] : 1) * source_slab(f);
}

/* source_run -- n numbers of a part from byte `at` on, along the last axis. Pages of scattered ones
 * are left to the system. */
static inline int source_run(const source *f, int part, uint64_t at, ptrdiff_t step, ptrdiff_t n,
                             double *x)
{
    unsigned char buf[2048];
    const read_type *t = f->part[part].type;
    int big = f->part[part].big;
    ptrdiff_t most = step == t->size ? (ptrdiff_t)sizeof buf / step : 1;
    if (f->data.p) most = n;
    for (ptrdiff_t i = 0; i < n; i += most) {
        ptrdiff_t m = n - i < most ? n - i : most;
        uint64_t len = (uint64_t)((m - 1) * step) + (uint64_t)t->size;
        uint64_t from = at + (uint64_t)(i * step);
        const unsigned char *p = step == t->size || !f->data.p ? read_at(&f->data, from, len, buf)
                                                               : read_part(&f->data, from, len).p;
        if (!p) return 0;
        read_convert(t, big, p, step, m, x + i);
    }
    return 1;
}

enum { READ_RUN = 512 };                   /* numbers that are converted at a time */

static inline void source_some(const source *f, ptrdiff_t from, ptrdiff_t count, fd_real *x,
                               double *y, fd_arena scratch)
{
    double buf[READ_RUN];
    int nd = f->nd - (f->parts == 2), plain = f->parts == 1, index[FD_MAXD] = { 0 };
    const read_type *t = f->part[0].type;
    ptrdiff_t last = 1;
    if (scratch.st->code || !count) return;
    if (from < 0 || count < 0 || from > source_count(f) || count > source_count(f) - from) {
        FD_FAIL(scratch.st, FD_EARG, "source_read", "not in the array: first, count", from, count);
        return;
    }
    for (int i = nd; i--; last *= f->n[i])
        plain &= f->n[i] < 2 || f->part[0].stride[i] == last * t->size;
    from /= f->parts;
    count /= f->parts;
    last = plain || !nd ? count : f->n[nd - 1];
    for (int part = 0; part < f->parts; part++) {
        const ptrdiff_t *stride = f->part[part].stride;
        ptrdiff_t step = plain || !nd ? t->size : stride[nd - 1], k = from;
        for (int d = nd; d--; k /= f->n[d]) index[d] = (int)(k % f->n[d]);
        for (ptrdiff_t i = 0, m; i < count; i += m) {
            uint64_t at = f->part[part].at + (plain ? (uint64_t)(from + i) * (uint64_t)t->size : 0);
            for (int d = 0; d < nd && !plain; d++) at += (uint64_t)index[d] * (uint64_t)stride[d];
            m = count - i < READ_RUN ? count - i : READ_RUN;
            if (!plain && nd && m > last - index[nd - 1]) m = last - index[nd - 1];
            if (!source_run(f, part, at, step, m, buf)) {
                read_fail(scratch.st, FD_EIO, f->path, f->member, "cannot be read");
                return;
            }
            for (ptrdiff_t e = 0, j = i * f->parts + part; e < m; e++, j += f->parts)
                if (x) x[j] = (fd_real)buf[e];
                else y[j] = buf[e];
            if (plain || !nd) continue;
            index[nd - 1] += (int)m;
            for (int d = nd - 1; d > 0 && index[d] == f->n[d]; d--) {
                index[d] = 0;
                index[d - 1]++;
            }
        }
    }
}

/* source_get -- numbers of the first axis to x, or where x is NULL to y. */
static inline void source_get(const source *f, ptrdiff_t first, ptrdiff_t count, fd_real *x,
                              double *y, fd_arena scratch)
{
    ptrdiff_t slab = source_slab(f), n = f->nd ? f->n[0] : 1;
    if (scratch.st->code) return;
    if (first < 0 || count < 0 || first > n || count > n - first) {
        FD_FAIL(scratch.st, FD_EARG, "source_read", "not in the array: first, count", first, count);
        return;
    }
    if (!f->files) { source_some(f, first * slab, count * slab, x, y, scratch); return; }
    double *one = x ? fd_raw(&scratch, double, slab) : NULL;
    for (ptrdiff_t i = 0; i < count && !scratch.st->code; i++) {
        read_picture(f, (int)(first + i), x ? one : y + i * slab, scratch);
        for (ptrdiff_t j = 0; x && j < slab; j++) x[i * slab + j] = (fd_real)one[j];
    }
}

static inline void source_read(const source *f, ptrdiff_t first, ptrdiff_t count, fd_real *x,
                               fd_arena scratch)
{
    source_get(f, first, count, x, NULL, scratch);
}

static inline void source_doubles(const source *f, ptrdiff_t first, ptrdiff_t count, double *x,
                                  fd_arena scratch)
{
    source_get(f, first, count, NULL, x, scratch);
}

static inline void source_close(source *f)
{
    if (f) read_unmap(f->data.map);
    if (f) f->data.map = NULL;
}
#endif
