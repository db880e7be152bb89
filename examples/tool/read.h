/* read.h -- arrays in the files that people have, opened and not loaded where that can be avoided.
 *
 * Sections: interface; runs of bytes; numbers; .npy; IDX; opening, reading, closing.
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

/* ---- Interface --------------------------------------------------------------------------------- */

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
    source *next;                          /* in a list */
    /* private */
    read_bytes data;
    int parts;                             /* 2: real and imaginary parts lie apart */
    struct { const read_type *type; int big; uint64_t at; ptrdiff_t stride[FD_MAXD]; } part[2];
};

/* source_list -- all arrays of a file, in its order, those too that cannot be read (why). NULL with
 * an error where the file has none or is not one of ours. Close the first one. */
static inline source *source_list(fd_arena *a, const char *path);
/* source_open -- the array that a name means: a file or file:member. The name of the member may be
 * left out where only one can be read. */
static inline source source_open(fd_arena *a, const char *name);
/* source_slab -- numbers of an entry of the first axis. */
static inline ptrdiff_t source_slab(const source *f);
/* source_read -- entries first to first + count - 1 of the first axis, in C order. source_doubles --
 * the same without rounding to fd_real. An error is in the status of the arena, the numbers are then
 * not to be used. */
static inline void source_read(const source *f, ptrdiff_t first, ptrdiff_t count, fd_real *x,
                               fd_arena scratch);
static inline void source_doubles(const source *f, ptrdiff_t first, ptrdiff_t count, double *x,
                                  fd_arena scratch);
static inline void source_close(source *f);

/* ---- Runs of bytes ------------------------------------------------------------------------------ */

enum { READ_DROP = 1 << 26 };              /* bytes read before the pages of a map are given back */
struct read_map {
    FILE *f;                               /* open where it could not be mapped */
    void *p;
    size_t size, touched;
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
    m->f = stat(path, &s) || !S_ISDIR(s.st_mode) ? fopen(path, "rb") : NULL;
    if (!m->f) {
        read_fail(a->st, FD_EIO, path, NULL, "%s", errno ? strerror(errno) : "cannot be opened");
        return b;
    }
    if (!fstat(fileno(m->f), &s) && S_ISREG(s.st_mode) && !fseek(m->f, 0, SEEK_END)) n = ftell(m->f);
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
    if (!m || !m->f || fseek(m->f, (long)(b->at + at), SEEK_SET)) return NULL;
    return fread(buf, 1, (size_t)n, m->f) == n ? buf : NULL;
}

/* ---- Numbers ------------------------------------------------------------------------------------ */

/* kind: b truth value, u unsigned, i two's complement, f IEEE 754, g its upper half (bfloat16), c two
 * of f, each of the size. Then the names in .npy, .safetensors and PyTorch, the code in IDX, the type
 * and the class in MATLAB. */
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

static inline uint64_t read_number(const unsigned char *p, int size, int big)
{
    uint64_t u = 0;
    for (int i = 0; i < size; i++) u = u << 8 | p[big ? i : size - 1 - i];
    return u;
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
#define EACH(value) for (ptrdiff_t i = 0; i < n; i++, p += step) { \
        uint64_t u = read_number(p, SIZE, big); x[i] = (value); }
#define SIZE 1
    if (t->kind == 'b') EACH(u != 0)
    else if (t->size == 1 && t->kind == 'u') EACH((double)u)
    else if (t->size == 1) EACH((double)(int64_t)(u ^ 128) - 128)
#undef SIZE
#define SIZE 2
    else if (t->kind == 'u' && t->size == 2) EACH((double)u)
    else if (t->kind == 'i' && t->size == 2) EACH((double)(int64_t)(u ^ 0x8000) - 0x8000)
    else if (t->kind == 'f' && t->size == 2) EACH(read_half((unsigned)u))
    else if (t->kind == 'g') EACH((memcpy(&f, &(uint32_t){ (uint32_t)u << 16 }, 4), (double)f))
#undef SIZE
#define SIZE 4
    else if (t->kind == 'u' && t->size == 4) EACH((double)u)
    else if (t->kind == 'i' && t->size == 4)
        EACH((double)((int64_t)(u ^ 0x80000000) - (int64_t)0x80000000))
    else if (t->size == 4) EACH((memcpy(&f, &(uint32_t){ (uint32_t)u }, 4), (double)f))
#undef SIZE
#define SIZE 8
    else if (t->kind == 'u') EACH((double)u)
    else if (t->kind == 'i') EACH(u >> 63 ? -(double)(~u + 1) : (double)u)
    else EACH((memcpy(x + i, &u, 8), x[i]))
#undef SIZE
#undef EACH
}

/* read_shape -- what is known of an array: its type, the place of its data and its order (Fortran: 1),
 * n[nd] being set. Complex numbers get a last axis of 2. Records why it cannot be read. */
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

/* ---- .npy: magic, version, length of the header, a Python dict, data ------------------------------ */

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
    int order = strchr("<>=|", *descr) ? *descr++ : '=';
    *big = order == '>';
    snprintf(word, sizeof word, " %s ", descr);
    for (int i = 0; i < READ_TYPES && *descr && !strchr(descr, ' '); i++)
        if (strstr(read_types[i].npy, word)) return read_types + i;
    return NULL;
}

/* npy_header -- the dict, up to a NUL; *data: the dtype was one of numbers. */
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
                const char *d = descr + (strchr("<>=|", *descr) != NULL);
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

/* read_npy -- an array from its bytes; sets f->why where it cannot be read. whole: the bytes are all
 * there, and not only a first part. */
static inline void read_npy(fd_arena scratch, const read_bytes *b, source *f)
{
    unsigned char buf[12];
    const unsigned char *m = read_at(b, 0, 10, buf);
    const read_type *t = NULL;
    int big = 0, fortran = 0;
    uint64_t k, len = 0;
    f->format = "NumPy";
    f->type = "unknown";
    f->why = "its .npy header is malformed";
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
    read_shape(f, t, big, fortran);
}

/* ---- IDX: 0, 0, type, number of axes, the extents, the data, all big-endian ----------------------- */

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

/* ---- Opening, reading, closing --------------------------------------------------------------------- */

static inline source *source_new(fd_arena *a, const char *path, const char *member)
{
    source *f = fd_new(a, source, 1);
    if (!f) return NULL;
    f->path = path;
    f->member = member;
    return f;
}

static inline source *source_list(fd_arena *a, const char *path)
{
    unsigned char buf[16];
    fd_arena before = *a;
    read_bytes b = read_file(a, path);
    source *f = source_new(a, path, "");
    const unsigned char *m = f ? read_at(&b, 0, b.size < 16 ? b.size : 16, buf) : NULL;
    if (f && m && b.size >= 6 && !memcmp(m, "\x93NUMPY", 6)) read_npy(*a, &b, f);
    else if (f && m && idx_is(m, b.size)) read_idx(&b, f);
    else if (f) read_fail(a->st, FD_EDATA, path, NULL, "neither .npy nor IDX");
    if (a->st->code) {
        read_unmap(b.map);
        *a = before;
        return NULL;
    }
    return f;
}

/* source_split -- the file and, behind a colon, the member that a name means. */
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

static inline source source_open(fd_arena *a, const char *name)
{
    source none;
    fd_arena before = *a;
    const char *member = "", *path = source_split(a, name, &member);
    source *all = path ? source_list(a, path) : NULL, *f = NULL;
    int count = 0;
    memset(&none, 0, sizeof none);
    for (source *s = all; s; s = s->next) {
        if (*member ? strcmp(s->member, member) : s->why != NULL) continue;
        if (!count++) f = s;
    }
    if (all && !f && !all->next) f = all;
    if (all && !f) read_fail(a->st, FD_EDATA, path, member, "no such member");
    else if (all && count > 1) read_fail(a->st, FD_EDATA, path, NULL, "holds several arrays");
    else if (f && f->why) read_fail(a->st, FD_EDATA, path, f->member, "%s", f->why);
    if (!a->st->code) return *f;
    if (all) source_close(all);
    *a = before;
    return none;
}

static inline ptrdiff_t source_slab(const source *f)
{
    ptrdiff_t n = 1;
    for (int i = 1; i < f->nd; i++) n *= f->n[i];
    return n;
}

/* source_run -- n numbers of a part, from the element of the given index on, along the last axis. */
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
        const unsigned char *p = read_at(&f->data, at + (uint64_t)(i * step), len, buf);
        if (!p) return 0;
        read_convert(t, big, p, step, m, x + i);
    }
    return 1;
}

enum { READ_RUN = 512 };                   /* numbers that are converted at a time */

/* source_get -- numbers to x, or where x is NULL to y. */
static inline void source_get(const source *f, ptrdiff_t first, ptrdiff_t count, fd_real *x, double *y,
                              fd_arena scratch)
{
    double buf[READ_RUN];
    ptrdiff_t slab = source_slab(f), total = count * slab, lead = 1;
    int nd = f->nd - (f->parts == 2), index[FD_MAXD + 1] = { 0 }, plain = f->parts == 1;
    const read_type *t = f->part[0].type;
    if (scratch.st->code || !total) return;
    if (first < 0 || count < 0 || first + count > (f->nd ? f->n[0] : 1)) {
        FD_FAIL(scratch.st, FD_EARG, "source_read", "not in the array: first, count", first, count);
        return;
    }
    for (int i = nd; i--; lead *= f->n[i]) plain &= f->part[0].stride[i] == lead * t->size;
    for (int part = 0; part < f->parts; part++) {
        ptrdiff_t n = total / f->parts, row = plain || !nd ? n : f->n[nd - 1];
        ptrdiff_t step = plain || !nd ? t->size : f->part[part].stride[nd - 1];
        if (nd) index[0] = (int)first;
        if (nd == 1 && !plain) row = n;
        for (ptrdiff_t i = 0; i < n; i += row) {
            uint64_t at = f->part[part].at;
            if (plain) at += (uint64_t)(first * slab) * (uint64_t)t->size;
            else for (int d = 0; d < nd - (nd > 1); d++)
                at += (uint64_t)index[d] * (uint64_t)f->part[part].stride[d];
            for (ptrdiff_t j = 0; j < row; j += READ_RUN) {
                ptrdiff_t m = row - j < READ_RUN ? row - j : READ_RUN, k = (i + j) * f->parts + part;
                if (!source_run(f, part, at + (uint64_t)(j * step), step, m, buf)) {
                    read_fail(scratch.st, FD_EIO, f->path, f->member, "cannot be read");
                    return;
                }
                if (x) for (ptrdiff_t e = 0; e < m; e++) x[k + e * f->parts] = (fd_real)buf[e];
                else for (ptrdiff_t e = 0; e < m; e++) y[k + e * f->parts] = buf[e];
            }
            for (int d = nd - 1; d-- > 0; index[d] = 0) if (++index[d] < f->n[d]) break;
        }
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
