/* test_files.c -- files and pictures: bytes as other programs write them, and damaged ones. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L                   /* symlink, fork */
#endif
#include "test.h"
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_SIMD                               /* its intrinsics are not in every compiler */
#define STBI_ONLY_PNG
#include <stb/stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

static unsigned char mem[1 << 16];

static fd_arena fresh(fd_status *st) { return fd_arena_over(mem, sizeof mem, st); }

static void spit(const char *path, const void *p, size_t n)
{
    remove(path);                              /* cutting an old file short can cost a disk flush */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f)) {
        printf("test: cannot write %s\n", path);
        exit(1);
    }
}

static size_t slurp(const char *path, void *p, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(p, 1, room, f) : 0;
    if (f) fclose(f);
    return n;
}

static int exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

/* is there another file in the test's folder whose name begins so? */
static int leftover(const char *name)
{
    int n = 0;
    DIR *d = opendir(test_folder());
    for (struct dirent *e; d && (e = readdir(d)); )
        n += !strncmp(e->d_name, name, strlen(name)) && strcmp(e->d_name, name);
    if (d) closedir(d);
    return n;
}

/* the failure is of this kind, its line holds the text and, at its end, the name */
static void failed(const fd_status *st, int code, const char *text, const char *name,
                   const char *row)
{
    char line[400];
    int got = fd_explain(st, line, sizeof line);
    OK(got == code && strstr(line, text) && strstr(line, name), "%s: code %d, \"%s\"", row, got,
       line);
}

/* --- .npy --- */

/* the bytes that numpy writes: header padded with spaces and a newline to a multiple of 64 */
static size_t npy(unsigned char *out, int version, const char *text, const void *data, size_t n)
{
    size_t k = version == 1 ? 10 : 12, len = strlen(text), total = (k + len + 1 + 63) / 64 * 64;
    memset(out, ' ', total);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[7] = 0;
    out[8] = (unsigned char)((total - k) & 255);
    out[9] = (unsigned char)((total - k) >> 8);
    if (version > 1) out[10] = out[11] = 0;
    memcpy(out + k, text, len);
    out[total - 1] = '\n';
    if (n) memcpy(out + total, data, n);
    return total + n;
}

#define DICT(d, f, s) "{'descr': '" d "', 'fortran_order': " f ", 'shape': " s ", }"

/* numbers of this machine, and NaN */
static void npy_own(void)
{
    const char *path = test_path("good.npy");
    fd_status st;
    fd_arena a = fresh(&st);
    unsigned char file[256];
    for (int k = 0; k < 4; k++) {
        static const char *const text[] = { DICT("f4", "False", "(1,)"),
                                            DICT("=f4", "False", "(1,)"),
                                            DICT("|f4", "False", "(1,)"),
                                            DICT("float32", "False", "(1,)") };
        const float own = 2.385f;                           /* of this machine */
        spit(path, file, npy(file, 1, text[k], &own, sizeof own));
        a = fresh(&st);
        fd_array f = fd_npy_load(&a, path);
        OK(f.x && f.x[0] == (fd_real)own, "%s: %s", text[k], st.code ? st.what : "");
    }
    a = fresh(&st);
    spit(path, file, npy(file, 1, DICT("<f2", "False", "(1,)"), "\x00~", 2));
    fd_array got = fd_npy_load(&a, path);
    OK(got.x && got.x[0] != got.x[0], "NaN of half precision");
}

static const struct {
    int version;
    const char *text, *data;
    int bytes, nd, n[6];
    double x[24];
} good[] = {
    { 1, DICT("<f4", "False", "(2, 3)"),
      "\x00\x00\xc0?\x00\x00\x10\xc0\x00\x00H@o\x12\x83:\x00\xe0\x7fG\x00\x00\xe0\xc0", 24,
      2, { 2, 3 }, { 1.5, -2.25, 3.125, 0.001000000047497451305, 65504, -7 } },
    { 1, DICT(">f8", "False", "(2,)"),
      "@\x03\x14z\xe1G\xae\x14\xc2\x02\xa0_ \x00\x00\x00", 16, 1, { 2 }, { 2.385, -1e10 } },
    { 2, DICT("<i2", "False", "(2, 2)"), "\x01\x00\xfe\xff\x03\x00\xfc\xff", 8,
      2, { 2, 2 }, { 1, -2, 3, -4 } },
    { 3, DICT("<u4", "False", "()"), "\x07\x00\x00\x00", 4, 0, { 0 }, { 7 } },
    { 1, DICT("|i1", "True", "(2, 3, 4)"),
      "\x00\x0c\x04\x10\x08\x14\x01\x0d\x05\x11\x09\x15"
      "\x02\x0e\x06\x12\x0a\x16\x03\x0f\x07\x13\x0b\x17", 24, 3, { 2, 3, 4 },
      { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
        23 } },
    { 1, DICT("|b1", "False", "(3,)"), "\x01\x00\x01", 3, 1, { 3 }, { 1, 0, 1 } },
    { 1, DICT("<f4", "False", "(0, 3)"), "", 0, 2, { 0, 3 }, { 0 } },
    { 1, DICT("<f2", "False", "(4,)"), "\x00>\xff\xfb\x01\x00\x00|", 8, 1, { 4 },
      { 1.5, -65504, 1.0 / 16777216, INFINITY } },
    { 1, DICT(">f2", "False", "(1,)"), "\x84\x01", 2, 1, { 1 }, { -6.109476089477539e-05 } },
    { 1, DICT("<f8", "True", "(2, 2)"),
      "\0\0\0\0\0\0\xf0?\0\0\0\0\0\0\x00@\0\0\0\0\0\0\x08@\0\0\0\0\0\0\x10@", 32, 2, { 2, 2 },
      { 1, 3, 2, 4 } },
    { 1, DICT(">i2", "False", "(1, 1, 1, 1, 1, 2)"), "\xff\x85\x00\x7b", 4,
      6, { 1, 1, 1, 1, 1, 2 }, { -123, 123 } },
    { 1, DICT("<i8", "False", "(2,)"), "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x80", 16,
      1, { 2 }, { -1, -9223372036854775808.0 } },
    { 1, DICT(">u8", "False", "(1,)"), "\xc0\0\0\0\0\0\0\0", 8, 1, { 1 },
      { 13835058055282163712.0 } },
    { 1, DICT("<u2", "False", "(1,)"), "\x39\xff", 2, 1, { 1 }, { 65337 } },
    { 1, DICT(">i4", "False", "(1,)"), "\xff\xff\xfe\x00", 4, 1, { 1 }, { -512 } },
    { 1, DICT("|u1", "False", "(2,)"), "\x80\xff", 2, 1, { 2 }, { 128, 255 } },
    { 1, DICT(">f4", "False", "(1,)"), "\xc0\x18\xa3\xd7", 4, 1, { 1 },
      { -2.3849999904632568 } },
    { 1, DICT("<c8", "False", "(2,)"),
      "\x00\x00\xc0?\x00\x00\x10\xc0\x00\x00H@\x00\x00\xe0\xc0", 16,
      2, { 2, 2 }, { 1.5, -2.25, 3.125, -7 } },
    { 1, DICT(">c16", "False", "()"), "@\x03\x14z\xe1G\xae\x14\xc2\x02\xa0_ \x00\x00\x00", 16,
      1, { 2 }, { 2.385, -1e10 } },
    { 1, DICT("<c8", "True", "(2, 2)"),
      "\0\0\x80?\0\0\0@\0\0\x40@\0\0\x80@\0\0\xa0@\0\0\xc0@\0\0\xe0@\0\0\0\x41", 32, 3,
      { 2, 2, 2 },
      { 1, 2, 5, 6, 3, 4, 7, 8 } },
    /* dtypes as numpy.dtype takes them; without a sign of byte order those of this machine */
    { 1, DICT("?", "False", "(3,)"), "\x01\x00\x01", 3, 1, { 3 }, { 1, 0, 1 } },
    { 1, DICT("uint8", "False", "(2,)"), "\x80\xff", 2, 1, { 2 }, { 128, 255 } },
    { 1, DICT("b", "False", "(2,)"), "\x80\xff", 2, 1, { 2 }, { -128, -1 } },
    { 1, DICT(">h", "False", "(1,)"), "\xff\x85", 2, 1, { 1 }, { -123 } },
    { 1, DICT("<F", "False", "(1,)"), "\x00\x00\xc0?\x00\x00\x10\xc0", 8, 2, { 1, 2 },
      { 1.5, -2.25 } },
    /* other writers: order, quotes, no trailing comma, Python 2 */
    { 1, "{\"shape\":(2L,),\"fortran_order\":False,\"descr\":\"|u1\"}", "\x05\x06", 2,
      1, { 2 }, { 5, 6 } },
};

static void npy_good(void)
{
    const char *path = test_path("good.npy");
    for (size_t r = 0; r < sizeof good / sizeof *good; r++) {
        unsigned char file[512];
        size_t n = npy(file, good[r].version, good[r].text, good[r].data, (size_t)good[r].bytes);
        fd_status st;
        fd_arena a = fresh(&st);
        spit(path, file, n);
        fd_array got = fd_npy_load(&a, path);
        OK(!st.code && got.x && got.nd == good[r].nd, "%s: %s", good[r].text,
           st.code ? st.what : "");
        if (!got.x) continue;
        ptrdiff_t count = 1;
        for (int d = 0; d < got.nd; d++) {
            OK(got.n[d] == good[r].n[d], "%s: extent %d is %d", good[r].text, d, got.n[d]);
            count *= got.n[d];
        }
        for (ptrdiff_t i = 0; i < count; i++)
            OK(got.x[i] == (fd_real)good[r].x[i], "%s: [%d] = %.9g", good[r].text, (int)i,
               (double)got.x[i]);
        /* every shorter file is refused and takes nothing from the arena */
        for (size_t k = 0; k < n; k++) {
            a = fresh(&st);
            char *beg = a.beg;
            spit(path, file, k);
            got = fd_load(&a, path);
            OK(st.code == FD_EDATA && !got.x && a.beg == beg, "%s cut to %d", good[r].text, (int)k);
        }
        /* a longer one is a second array saved behind the first: numpy reads the first */
        if (r) continue;
        memcpy(file + n, file, n);
        spit(path, file, 2 * n);
        a = fresh(&st);
        OK(fd_load(&a, path).x && !st.code, "two arrays");
        /* any byte damaged: an error or some array, and no more */
        for (size_t k = 0; k < 128; k++)
            for (int c = 0; c < 256; c += k < 75 ? 5 : 51) {
                unsigned char old = file[k];
                file[k] = (unsigned char)c;
                spit(path, file, n);
                file[k] = old;
                a = fresh(&st);
                got = fd_npy_load(&a, path);
                if (!got.x != !!st.code) OK(0, "byte %d as %d", (int)k, c);
            }
    }
    npy_own();
}

static const struct { int version, code; const char *text, *says; int bytes; } bad_npy[] = {
    { 1, FD_EDATA, DICT("<c4", "False", "(1,)"), "dtype is not one of numbers: ", 8 },
    { 1, FD_EDATA, DICT("<float32", "False", "(1,)"), "dtype is not one of numbers: ", 8 },
    { 1, FD_EDATA, DICT("float", "False", "(2,)"), "shorter", 8 },
    { 1, FD_EDATA, DICT("f4 f8", "False", "(1,)"), "dtype", 8 },
    { 1, FD_EDATA, DICT("<g", "False", "(1,)"), "dtype", 16 },
    { 1, FD_EDATA, DICT("datetime64", "False", "(1,)"), "dtype", 16 },
    { 1, FD_EDATA, DICT("", "False", "(1,)"), "dtype", 16 },
    { 1, FD_EDATA, DICT("<c1", "False", "(1,)"), "dtype", 8 },
    { 1, FD_EDATA, DICT("<c161", "False", "(1,)"), "dtype", 16 },
    { 1, FD_EDATA, DICT("<4 f", "False", "(1,)"), "dtype", 16 },
    { 1, FD_EDATA, DICT("|O", "False", "(1,)"), "dtype", 8 },
    { 1, FD_ESHAPE, DICT("<c8", "False", "(1, 1, 1, 1, 1, 1)"),
      "more than 5 axes of complex numbers: ", 8 },
    { 1, FD_EDATA, DICT("<c8", "False", "(2,)"), "file is shorter than its header says: ", 15 },
    { 1, FD_EDATA, DICT("<f1", "False", "(1,)"), "dtype", 8 },
    { 1, FD_EDATA, DICT("<1 ", "False", "(1,)"), "dtype", 8 },
    { 1, FD_EDATA, DICT("<U4", "False", "(1,)"), "bad.npy: <U4", 16 },
    { 1, FD_EDATA, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
      "dtype is not one of numbers: ", 8 },
    { 1, FD_EDATA, "{'descr': [('a]', '<f4'], 'fortran_order': False, 'shape': (1,), }",
      "malformed", 8 },
    { 1, FD_EDATA, "{'descr': [(\"a'\", '<f4')], 'fortran_order': False, 'shape': (1,), }",
      "dtype is not one of numbers: ", 8 },
    { 1, FD_EDATA, "{'descr': [('a, '<f4'", "malformed", 8 },
    { 1, FD_ESHAPE, DICT("|O", "False", "(1, 1, 1, 1, 1, 1, 1)"), "more than 6 axes: ", 12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(3)"), "malformed", 12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(-3,)"), "malformed", 12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(1 2)"), "malformed", 12 },
    { 1, FD_EDATA, DICT("<f4", "false", "(3,)"), "malformed", 12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(3,)") "x", "malformed", 12 },
    { 1, FD_EDATA, "{'descr': '<f4', 'shape': (3,), }", "malformed", 12 },
    { 1, FD_EDATA, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (3,), }",
      "malformed", 12 },
    { 1, FD_EDATA, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': (3,), }",
      "malformed", 12 },
    { 1, FD_EDATA, "{'descr': '<f4' 'fortran_order': False, 'shape': (3,), }", "malformed",
      12 },
    { 1, FD_EDATA, "", "malformed", 12 },
    { 1, FD_ESHAPE, DICT("<f4", "False", "(1, 1, 1, 1, 1, 1, 1)"), "more than 6 axes: ", 12 },
    { 1, FD_ESHAPE, DICT("<f4", "False", "(99999999999999999999999,)"), "too large", 12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(2147483647, 2147483647, 2147483647)"), "shorter",
      12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(65536, 65536, 65536, 65536)"), "shorter", 12 },
    { 1, FD_EDATA, DICT("<f4", "False", "(2,)"), "file is shorter than its header says: ", 7 },
    { 1, FD_EDATA, DICT("<f4", "True", "(0, 2147483647, 2147483647, 2147483647)"), "shorter",
      0 },
    { 4, FD_EDATA, DICT("<f4", "False", "(1,)"), "version", 7 },
};

static void npy_bad(void)
{
    const char *path = test_path("bad.npy");
    fd_status st;
    for (size_t r = 0; r < sizeof bad_npy / sizeof *bad_npy; r++) {
        unsigned char file[512];
        fd_arena a = fresh(&st);
        spit(path, file, npy(file, bad_npy[r].version, bad_npy[r].text, "0123456789abcdef",
                             (size_t)bad_npy[r].bytes));
        OK(!fd_npy_load(&a, path).x, "%s", bad_npy[r].text);
        failed(&st, bad_npy[r].code, bad_npy[r].says, "bad.npy", bad_npy[r].text);
        failed(&st, bad_npy[r].code, "fd_npy_load: ", "bad.npy", bad_npy[r].text);
    }
    static const struct { const char *bytes; int n; const char *says; } magic[] = {
        { "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00", 10, "gunzip" },
        { "PK\x03\x04\x14\x00\x00\x00\x00\x00", 10, "unzip" },
        { "GIF89a0000", 10, "neither .npy nor IDX" },
        { "\x93NUMPZ\1\0", 9, "not a .npy file" },
        { "", 0, "shorter" },
        { "\x93", 1, "shorter" },
        { "\x1f\x8a\x08\x00\x00\x00\x00\x00\x00\x00", 10, "neither .npy nor IDX" },
    };
    for (size_t r = 0; r < sizeof magic / sizeof magic[0]; r++) {
        spit(path, magic[r].bytes, (size_t)magic[r].n);
        fd_arena a = fresh(&st);
        fd_load(&a, path);
        failed(&st, FD_EDATA, magic[r].says, "bad.npy", "magic");
        if (r > 1) continue;
        if (!r) {
            a = fresh(&st);
            fd_tensors_load(&a, path);
            failed(&st, FD_EDATA, magic[r].says, "fd_tensors_load", "magic");
        }
        a = fresh(&st);
        fd_npy_load(&a, path);
        failed(&st, FD_EDATA, magic[r].says, "fd_npy_load", "magic");
        a = fresh(&st);
        fd_idx_load(&a, path);
        failed(&st, FD_EDATA, magic[r].says, "fd_idx_load", "magic");
    }
    fd_arena a = fresh(&st);
    fd_npy_load(&a, test_path("missing.npy"));
    failed(&st, FD_EIO, "fd_npy_load: cannot open: ", "missing.npy", "missing file");
    a = fresh(&st);
    fd_load(&a, "build");
    failed(&st, FD_EIO, "fd_load", "build", "a folder");
}

/* --- .npy written: the bytes of numpy --- */

static void npy_write(void)
{
    const char *path = test_path("w.npy");
    static const fd_real x[] = { (fd_real)1.5, (fd_real)-2.25, (fd_real)3.125, (fd_real)2.385, 0,
                                 -7 };
    static const struct { int nd, n[6]; const char *shape; int count; } rows[] = {
        { 2, { 2, 3 }, "(2, 3)", 6 }, { 1, { 5 }, "(5,)", 5 }, { 0, { 0 }, "()", 1 },
        { 3, { 3, 0, 7 }, "(3, 0, 7)", 0 }, { 6, { 1, 2, 1, 1, 3, 1 }, "(1, 2, 1, 1, 3, 1)", 6 } };
    fd_status st;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        unsigned char want[512], got[512];
        char text[200];
        sprintf(text, "{'descr': '<f%d', 'fortran_order': False, 'shape': %s, }", (int)sizeof *x,
                rows[r].shape);
        fd_real bytes[6];
        size_t n = npy(want, 1, text, test_little(bytes, x, sizeof *x, 6),
                       (size_t)rows[r].count * sizeof *x);
        fd_arena a = fresh(&st);
        OK(!fd_npy_save(&st, path, rows[r].nd, rows[r].n, x), "%s", text);
        OK(slurp(path, got, sizeof got) == n && !memcmp(got, want, n), "%s", text);
        OK(!leftover("w.npy"), "temporary file stays");
        fd_array back = fd_load(&a, path);
        OK(back.x && !memcmp(back.x, x, (size_t)rows[r].count * sizeof *x), "%s: %s", text,
           st.code ? st.what : "");
    }
    int seven[7] = { 1, 1, 1, 1, 1, 1, 1 }, minus[1] = { -1 },
        huge[4] = { 1 << 30, 1 << 30, 1 << 30, 1 };
    fresh(&st);
    fd_npy_save(&st, path, 7, seven, x);
    failed(&st, FD_ESHAPE, "not a shape", "w.npy", "7 axes");
    fresh(&st);
    fd_npy_save(&st, path, 1, minus, x);
    failed(&st, FD_ESHAPE, "not a shape", "w.npy", "negative");
    fresh(&st);
    fd_npy_save(&st, path, 4, huge, x);
    failed(&st, FD_ESHAPE, "not a shape", "w.npy", "product overflows");
    fresh(&st);
    const char *none = test_path("none/w.npy");
    fd_npy_save(&st, none, 1, minus + 0, NULL);
    OK(st.code == FD_ESHAPE, "negative first");
    fresh(&st);
    fd_npy_save(&st, none, 2, rows[0].n, x);
    failed(&st, FD_EIO, "fd_npy_save: cannot create: ", "none/w.npy", "no folder");
    failed(&st, FD_EIO, "", "none/w.npy", "no folder");
    /* the name is taken by a folder: the old thing stays, nothing is left over */
    const char *dir = test_path("dir.npy");
    mkdir(dir, 0777);
    mkdir(test_path("dir.npy/in"), 0777);
    fresh(&st);
    fd_npy_save(&st, dir, 2, rows[0].n, x);
    failed(&st, FD_EIO, "cannot rename", "dir.npy", "a folder in the way");
    OK(!leftover("dir.npy"), "temporary file stays");
    /* nothing is done after a failure */
    remove(path);
    fd_npy_save(&st, path, 2, rows[0].n, x);
    OK(!exists(path), "written after a failure");
    /* names too long for the buffer */
    static char name[1 << 14];
    memset(name, 'x', sizeof name - 1);
    fresh(&st);
    fd_npy_save(&st, name, 2, rows[0].n, x);
    failed(&st, FD_EIO, "", "xxxx", "long name");
}

/* --- what happens to a name while it is written --- */

enum { RACE = 40000 };                                /* reals of a file */

/* in a process of its own: exit status 0 where ok(arg) */
static int in_child(int (*ok)(int arg), int arg)
{
    fflush(stdout);
    const pid_t p = fork();
    if (!p) {
        alarm(60);                                    /* a hang is a failure */
        _exit(!ok(arg));
    }
    return (int)p;
}

static int child_ok(int p)
{
    int how = -1;
    return p > 0 && waitpid(p, &how, 0) == p && WIFEXITED(how) && !WEXITSTATUS(how);
}

static int race_save(int who)
{
    static fd_real x[RACE];
    fd_status st;
    fresh(&st);
    for (int i = 0; i < RACE; i++) x[i] = (fd_real)who;
    for (int k = 0; k < 12 && !st.code; k++)
        if (who % 2) fd_npy_save(&st, test_path("race.npy"), 1, (int[]){ RACE }, x);
        else fd_npy_save(&st, test_path("race.npy"), 2, (int[]){ 2, RACE / 2 }, x);
    return !st.code;
}

/* a limit of the size of files, as a full disk: an error, the old file stays, nothing is left */
static int full_disk(int kind)
{
    static fd_real x[RACE];
    static const char *const names[] = { "full.npy", "full.safetensors", "full.npz", "full.png",
                                         "full.csv", "full.txt" };
    static const char old[] = "old";
    static char text[9000];
    const char *path = test_path(names[kind]), *cols[] = { "a" };
    char got[8] = "";
    double v[3000];
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_tensor t = { "x", 1, { RACE }, x, NULL };
    fd_tensors f = { 1, 0, &t, NULL, 0, NULL };
    for (int i = 0; i < RACE; i++) x[i] = (fd_real)(i * 7919 % 1000);
    for (int i = 0; i < 3000; i++) v[i] = i / 3.0;
    spit(path, old, sizeof old);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 5000, 5000 });
    switch (kind) {
    case 0: fd_npy_save(&st, path, 1, t.n, x); break;
    case 1: fd_tensors_save(&st, path, &f); break;
    case 2: fd_npz_save(&st, path, &f); break;
    case 3: fd_png_sheet(&st, path, 1, 1, 100, 300, x, 0, 1000, FD_VIRIDIS, 1, a); break;
    case 4: fd_csv_save(&st, path, 1, cols, 3000, v); break;
    case 5: fd_text_save(&st, path, memset(text, 'x', sizeof text - 1)); break;
    }
    char line[300];
    fd_explain(&st, line, sizeof line);
    return st.code == FD_EIO && strstr(line, "cannot write (disk full?)")
        && strstr(line, names[kind])
        && slurp(path, got, sizeof got) == sizeof old && !strcmp(got, old)
            && !leftover(names[kind]);
}

/* what hung when the temporary name was PATH.tmp */
static int fifo_beside(int unused)
{
    fd_status st;
    fd_real x = 1;
    (void)unused;
    fresh(&st);
    return !fd_npy_save(&st, test_path("fifo.npy"), 0, NULL, &x);
}

static void names(void)
{
    const char *path = test_path("race.npy"), *victim = test_path("victim"),
        *link = test_path("link.npy");
    fd_real one = 1;
    fd_status st;
    for (int round = 0; round < 3; round++) {
        int p[4];
        for (int who = 0; who < 4; who++) p[who] = in_child(race_save, 1 + who);
        for (int who = 0; who < 4; who++) OK(child_ok(p[who]), "round %d: writer %d failed", round,
                                             who);
        fd_arena a = test_arena(1 << 20, &st);
        fd_array f = fd_npy_load(&a, path);
        int same = f.x != NULL;
        for (int i = 0; same && i < RACE; i++) same = f.x[i] == f.x[0];
        OK(same && f.nd == ((int)f.x[0] % 2 ? 1 : 2), "round %d: not one writer's file", round);
        OK(!leftover("race.npy"), "round %d: a temporary file stays", round);
    }
    for (int kind = 0; kind < 6; kind++) OK(child_ok(in_child(full_disk, kind)),
                                            "full disk, kind %d", kind);

    /* links and pipes where an older version had its temporary file */
    spit(victim, "victim", 6);
    const char *tmp = test_path("link.npy.tmp"), *fifo = test_path("fifo.npy.tmp");
    char got[8] = "";
    struct stat is;
    remove(link);
    remove(tmp);
    remove(fifo);
    OK(!symlink("victim", tmp) && !symlink("victim", link) && !mkfifo(fifo, 0600), "links");
    fresh(&st);
    OK(!fd_npy_save(&st, link, 0, NULL, &one), "%s", st.code ? st.what : "");
    OK(slurp(victim, got, sizeof got) == 6 && !memcmp(got, "victim", 6), "a link is followed");
    OK(!lstat(link, &is) && S_ISREG(is.st_mode) && !lstat(tmp, &is) && S_ISLNK(is.st_mode),
       "the link is replaced");
    OK(child_ok(in_child(fifo_beside, 0)), "a pipe beside the file");
    remove(tmp);
    fresh(&st);                                       /* a pipe and a device at the name itself */
    fd_npy_save(&st, fifo, 0, NULL, &one);
    failed(&st, FD_EIO, "fd_npy_save: a device or a pipe cannot be replaced", "fifo.npy.tmp",
           "a pipe");
    OK(!lstat(fifo, &is) && S_ISFIFO(is.st_mode), "the pipe is replaced");
    remove(fifo);
    fresh(&st);
    fd_npy_save(&st, "/dev/null", 0, NULL, &one);
    failed(&st, FD_EIO, "a device or a pipe", "/dev/null", "a device");
}

/* a name that is taken beside the file, and a file that cannot be sought in */
static void taken_names(void)
{
    const char *path = test_path("taken.npy");
    char beside[300];
    unsigned char bytes[64];
    const fd_real two[2] = { (fd_real)1.5, -2 };
    int pipes[2];
    fd_status st;
    fd_arena a = fresh(&st);
    sprintf(beside, "%s.%ld-0.tmp", path, (long)getpid());
    spit(beside, "taken", 5);
    fd_npy_save(&st, path, 1, (int[]){ 2 }, two);
    const fd_array y = fd_npy_load(&a, path);
    OK(!st.code && y.nd == 1 && y.n[0] == 2 && !memcmp(y.x, two, sizeof two), "beside another");
    OK(slurp(beside, bytes, sizeof bytes) == 5 && !memcmp(bytes, "taken", 5), "which stays");
    remove(beside);
    OK(!leftover("taken.npy"), "and nothing more");
    if (pipe(pipes)) return;
    sprintf(beside, "/dev/fd/%d", pipes[0]);
    if (exists(beside)) {
        fd_load(&a, beside);
        failed(&st, FD_EIO, "fd_load: not a plain file: ", beside, "a pipe");
    }
    close(pipes[0]);
    close(pipes[1]);
}

/* after a failure, and of nothing, nothing is written */
static void nothing_written(void)
{
    const char *path = test_path("x.npz"), *const column[] = { "x" };
    const double number = 1;
    const unsigned char byte = 0;
    const int n = 2;
    fd_real two[2] = { (fd_real)1.5, -2 };
    fd_tensor t = { "x", 1, { 2 }, two, NULL };
    const fd_tensors f = { 1, 0, &t, NULL, 0, NULL };
    fd_status st;
    fd_arena a = fresh(&st);
    remove(path);
    OK(!fd_tensor_need(&st, "here", NULL, "x"), "a tensor of nothing");
    failed(&st, FD_EDATA, "here: missing tensor", "x", "no tensors");
    a = fresh(&st);
    FD_FAIL(&st, FD_EIO, "here", "before");
    OK(!fd_tensor_need(&st, "here", &f, "x") && fd_npz_save(&st, path, &f) == FD_EIO
       && fd_tensors_save(&st, path, &f) == FD_EIO && fd_npy_save(&st, path, 1, &n, two) == FD_EIO
       && fd_text_save(&st, path, "text") == FD_EIO && fd_png_save(&st, path, 1, 1, &byte) == FD_EIO
       && fd_csv_save(&st, path, 1, column, 1, &number) == FD_EIO
       && fd_png_sheet(&st, path, 1, 1, 1, 1, two, 0, 1, FD_GRAY, 1, a) == FD_EIO
       && !exists(path), "after a failure");
    a = fresh(&st);
    fd_npy_save(&st, path, 1, &n, NULL);
    fd_text_save(&st, path, NULL);
    fd_png_save(&st, path, 1, 1, NULL);
    fd_png_sheet(&st, path, 1, 1, 1, 1, NULL, 0, 1, FD_GRAY, 1, a);
    fd_csv_save(&st, path, 1, column, 1, NULL);
    OK(!st.code && !exists(path), "nothing of nothing");
}

/* shapes that no file has */
static void wrong_shapes(void)
{
    static const char *const names[] = { "2", "3", "4", "5", "6", "7", "8", "9" };
    const char *path = test_path("x.npz"), *const column[] = { "x" };
    const double number = 1;
    fd_real two[2] = { (fd_real)1.5, -2 };
    fd_tensor many[8];
    const fd_tensors f = { 8, 0, many, NULL, 0, NULL };
    fd_status st;
    fresh(&st);
    fd_npy_save(&st, path, -1, (int[]){ 2 }, two);
    failed(&st, FD_ESHAPE, "fd_npy_save: not a shape", "x.npz", "axes");
    fresh(&st);
    fd_csv_save(&st, path, 1, column, -1, &number);
    failed(&st, FD_EARG, "fd_csv_save: not a table: columns, rows: 1, -1", "", "rows");
    fresh(&st);
    fd_csv_save(&st, path, 1, NULL, 1, &number);
    failed(&st, FD_EARG, "fd_csv_save: not a table: columns, rows: 1, 1", "", "names");
    fresh(&st);
    for (int k = 0; k < 8; k++)                  /* 4 GiB, of which not a number is looked at */
        many[k] = (fd_tensor){ names[k], 3, { 1 << 12, 1 << 14, 2 }, two, NULL };
    fd_npz_save(&st, path, &f);
    failed(&st, FD_EARG, "fd_npz_save: more than a zip without extensions holds", "", "4 GiB");
    OK(!exists(path), "not a file");
}

/* --- IDX --- */

static void idx(void)
{
    static const struct { const char *bytes; int n, nd, ext[3]; double x[6]; } rows[] = {
        { "\0\0\x08\x03\0\0\0\2\0\0\0\1\0\0\0\3\0\1\2\x7f\x80\xff", 22, 3, { 2, 1, 3 },
          { 0, 1, 2, 127, 128, 255 } },
        { "\0\0\x09\x01\0\0\0\2\x7f\x80", 10, 1, { 2 }, { 127, -128 } },
        { "\0\0\x0b\x01\0\0\0\2\x01\x02\xff\xfe", 12, 1, { 2 }, { 258, -2 } },
        { "\0\0\x0c\x01\0\0\0\2\0\x01\0\0\xff\xff\xff\x85", 16, 1, { 2 }, { 65536, -123 } },
        { "\0\0\x0d\x01\0\0\0\1\xc0\x18\xa3\xd7", 12, 1, { 1 }, { -2.3849999904632568 } },
        { "\0\0\x0e\x01\0\0\0\1@\x03\x14z\xe1G\xae\x14", 16, 1, { 1 }, { 2.385 } },
        { "\0\0\x08\x02\0\0\0\0\0\0\0\5", 12, 2, { 0, 5 }, { 0 } },
    };
    const char *path = test_path("t10k-idx");
    fd_status st;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        spit(path, rows[r].bytes, (size_t)rows[r].n);
        for (int any = 0; any < 2; any++) {
            fd_arena a = fresh(&st);
            fd_array got = any ? fd_load(&a, path) : fd_idx_load(&a, path);
            ptrdiff_t count = 1;
            OK(got.x && got.nd == rows[r].nd, "row %d: %s", (int)r, st.code ? st.what : "");
            if (!got.x) continue;
            for (int d = 0; d < got.nd; d++) {
                OK(got.n[d] == rows[r].ext[d], "row %d axis %d", (int)r, d);
                count *= got.n[d];
            }
            for (ptrdiff_t i = 0; i < count; i++)
                OK(got.x[i] == (fd_real)rows[r].x[i], "row %d [%d] %g", (int)r, (int)i,
                   (double)got.x[i]);
        }
        for (int k = 0; k < rows[r].n; k++) {
            fd_arena a = fresh(&st);
            spit(path, rows[r].bytes, (size_t)k);
            OK(!fd_idx_load(&a, path).x && st.code == FD_EDATA, "row %d cut to %d", (int)r, k);
        }
    }
    static const struct { const char *bytes; int n, code; const char *says; } bad[] = {
        { "\0\0\x0a\x01\0\0\0\1\0", 9, FD_EDATA, "not an IDX" },
        { "\0\1\x08\x01\0\0\0\1\0", 9, FD_EDATA, "not an IDX" },
        { "\1\0\x08\x01\0\0\0\1\0", 9, FD_EDATA, "not an IDX" },
        { "\0\0\x08\x01\0\0\0\1\0\0", 10, FD_EDATA, "longer" },
        { "\0\0\x08\x01\0\0\1\1\0\0", 10, FD_EDATA, "shorter" },
        { "\0\0\x08\x07\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0", 33, FD_ESHAPE,
          "axes" },
        { "\0\0\x08\x01\xff\xff\xff\xff\0\0", 10, FD_ESHAPE, "too large" },
        { "\0\0\x0e\x04\x7f\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff", 20,
          FD_EDATA, "shorter" },
    };
    for (size_t r = 0; r < sizeof bad / sizeof bad[0]; r++) {
        fd_arena a = fresh(&st);
        spit(path, bad[r].bytes, (size_t)bad[r].n);
        OK(!fd_idx_load(&a, path).x, "bad row %d", (int)r);
        failed(&st, bad[r].code, bad[r].says, "t10k-idx", "IDX");
    }
}

/* --- .safetensors --- */

static size_t safe(unsigned char *out, long long len, const char *text, size_t n, const void *data,
                   size_t bytes)
{
    for (int i = 0; i < 8; i++) out[i] = (unsigned char)((unsigned long long)len >> 8 * i);
    memcpy(out + 8, text, n);
    if (bytes) memcpy(out + 8 + n, data, bytes);
    return 8 + n + bytes;
}

#define T(d, s, o) "{\"dtype\":\"" d "\",\"shape\":[" s "],\"data_offsets\":[" o "]}"

/* cut anywhere, or with a byte changed; and a file without tensors */
static void tensors_damaged(const char *path, unsigned char *file, size_t n)
{
    fd_status st;
    fd_arena a;
    fd_tensors f;
    for (size_t k = 0; k < n; k++) {
        a = fresh(&st);
        char *beg = a.beg;
        spit(path, file, k);
        f = fd_tensors_load(&a, path);
        OK(st.code == FD_EDATA && !f.count && a.beg == beg, "cut to %d", (int)k);
    }
    for (size_t k = 0; k < n; k++)
        for (int c = 0; c < 256; c += 17) {
            unsigned char old = file[k];
            file[k] = (unsigned char)(k % 2 ? c : old ^ (c / 17 + 1));
            spit(path, file, n);
            file[k] = old;
            a = fresh(&st);
            f = fd_tensors_load(&a, path);
            if (st.code ? f.count || f.tensor : !f.tensor) OK(0, "byte %d as %d", (int)k, c);
        }
    static const char empty[] = "{}      ";
    spit(path, file, safe(file, 8, empty, 8, NULL, 0));
    a = fresh(&st);
    f = fd_tensors_load(&a, path);
    OK(!st.code && !f.count && !f.metas, "empty");
}

static void tensors_good(void)
{
    static const char text[] =
        "{\"__metadata__\":{\"format\":\"pt\",\"k\\u00e9\\ud83d\\ude00\\\"\\\\\\/"
        "\\b\\f\\n\\r\\t\":\"\\u0041\xc3\xa9\"},"
        "\"late\":" T("F16", "2,2", "24,32")
        ",\n\t \"w.0\" : { \"shape\" : [ 2 , 3 ] , \"data_offsets\": [0, 24],"
        " \"dtype\":\"F32\" } ,\"e\":" T("F64", "0,7", "32,32") ",\"s\":" T("BF16", "", "32,34")
        ",\"d\":" T("F64", "1", "34,42") ",\"c\":" T("C64", "1,2", "42,58") "}   ";
    static const unsigned char data[] =
        "\x00\x00\xc0?\x00\x00\x10\xc0\x00\x00H@o\x12\x83:\x00\xe0\x7fG\x00\x00\xe0\xc0"
        "\x00>\xff\xfb\x01\x00\x00|" "\x19\xc0" "\x14\xae\x47\xe1\x7a\x14\x03@"
        "\x00\x00\xc0?\x00\x00\x10\xc0\x00\x00H@\x00\x00\xe0\xc0";
    static const double w0[] = { 1.5, -2.25, 3.125, 0.001000000047497451305, 65504, -7 };
    static const double late[] = { 1.5, -65504, 1.0 / 16777216, INFINITY };
    unsigned char file[1024];
    const char *path = test_path("good.safetensors");
    size_t n = safe(file, sizeof text - 1, text, sizeof text - 1, data, sizeof data - 1);
    fd_status st;
    fd_arena a = fresh(&st);
    spit(path, file, n);
    fd_tensors f = fd_tensors_load(&a, path);
    OK(!st.code && f.count == 6 && f.metas == 2, "%s, %d", st.code ? st.what : "", f.count);
    if (st.code) return;
    const fd_tensor *t = fd_tensor_find(&f, "w.0");
    OK(t && t->nd == 2 && t->n[0] == 2 && t->n[1] == 3, "w.0");
    for (int i = 0; t && i < 6; i++)
        OK(t->x[i] == (fd_real)w0[i], "w.0[%d] = %g", i, (double)t->x[i]);
    t = fd_tensor_find(&f, "late");
    OK(t && t == f.tensor, "order of the header");
    for (int i = 0; t && i < 4; i++)
        OK(t->x[i] == (fd_real)late[i], "late[%d] = %g", i, (double)t->x[i]);
    t = fd_tensor_find(&f, "e");
    OK(t && t->nd == 2 && t->n[0] == 0 && t->n[1] == 7 && t->x, "zero size");
    t = fd_tensor_find(&f, "s");
    OK(t && t->nd == 0 && t->x[0] == (fd_real)-2.390625, "bfloat16");
    t = fd_tensor_find(&f, "d");
    OK(t && t->x[0] == (fd_real)2.385, "double");
    t = fd_tensor_find(&f, "c");
    OK(t && t->nd == 3 && t->n[0] == 1 && t->n[1] == 2 && t->n[2] == 2 && t->x[1] == (fd_real)-2.25
       && t->x[3] == -7, "complex");
    OK(!fd_tensor_find(&f, "w") && !fd_tensor_find(NULL, "w") && !fd_meta_find(NULL, "w"),
       "not there");
    const char *v = fd_meta_find(&f, "k\xc3\xa9\xf0\x9f\x98\x80\"\\/\b\f\n\r\t");
    OK(v && !strcmp(v, "A\xc3\xa9"), "escapes: %s", v ? v : "none");
    OK(fd_meta_find(&f, "format") && !strcmp(fd_meta_find(&f, "format"), "pt"), "format");

    tensors_damaged(path, file, n);
}

#define A T("F32", "2", "0,8")
static const struct { const char *text; int bytes, code; const char *says; } bad_safe[] = {
    { "[]", 0, FD_EDATA, "does not start with {" },
    { " {}", 0, FD_EDATA, "does not start with {" },
    { "", 0, FD_EDATA, "does not start with {" },
    { "{}x", 0, FD_EDATA, "JSON" },
    { "{", 0, FD_EDATA, "JSON" },
    { "{\"a\":", 0, FD_EDATA, "JSON" },
    { "{\"a\":" A ",}", 8, FD_EDATA, "JSON" },
    { "{\"a\":" A " \"b\":" A "}", 8, FD_EDATA, "JSON" },
    { "{\"a\":3}", 8, FD_EDATA, "JSON" },
    { "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", 8, FD_EDATA, "JSON" },
    { "{\"a\":{}}", 8, FD_EDATA, "JSON" },
    { "{\"a\":" A ",\"a\":" A "}", 8, FD_EDATA, "twice: " },
    { "{\"a\":" A ",\"\\u0061\":" T("F32", "0", "8,8") "}", 8, FD_EDATA, "twice: " },
    { "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"},\"a\":" A "}", 8, FD_EDATA, ": k" },
    { "{\"__metadata__\":{},\"a\":" A ",\"__metadata__\":{}}", 8, FD_EDATA, "twice" },
    { "{\"__metadata__\":{\"k\":1},\"a\":" A "}", 8, FD_EDATA, "JSON" },
    { "{\"__metadata__\":{\"k\":{}},\"a\":" A "}", 8, FD_EDATA, "JSON" },
    { "{\"__metadata__\":{\"k\"},\"a\":" A "}", 8, FD_EDATA, "JSON" },
    { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
      FD_EDATA, "twice" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, FD_EDATA, "missing: " },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8, FD_EDATA,
      "unknown field" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, FD_EDATA, "JSON" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8, FD_EDATA,
      "JSON" },
    { "{\"a\":" T("I64", "2", "0,8") "}", 8, FD_EDATA, "" },
    { "{\"a\":" T("U16", "2", "0,8") "}", 8, FD_EDATA, "disagree: " },
    { "{\"a\":" T("F8_E4M3", "2", "0,9") "}", 8, FD_EDATA, "not in the data: " },
    { "{\"a\":" T("F8_E4M3", "2", "0,4") ",\"b\":" T("F8_E4M3", "2", "0,8") "}", 8, FD_EDATA,
      "overlap" },
    { "{\"a\":" T("C64", "1", "0,4") "}", 4, FD_EDATA, "" },
    { "{\"a\":" T("C64", "2", "0,8") "}", 8, FD_EDATA, "" },
    { "{\"a\":" T("F32", "-2", "0,8") "}", 8, FD_EDATA, "number" },
    { "{\"a\":" T("F32", "2.0", "0,8") "}", 8, FD_EDATA, "JSON" },
    { "{\"a\":" T("F32", "2e0", "0,8") "}", 8, FD_EDATA, "JSON" },
    { "{\"a\":" T("F32", "02", "0,8") "}", 8, FD_EDATA, "number" },
    { "{\"a\":" T("F32", "2,", "0,8") "}", 8, FD_EDATA, "number" },
    { "{\"a\":" T("F32", "2147483647,2147483647,2147483647", "0,8") "}", 8, FD_EDATA, "" },
    { "{\"a\":" T("F32", "65536,65536,65536,65536", "0,0") "}", 0, FD_EDATA, "" },
    { "{\"a\":" T("F32", "3", "0,8") "}", 8, FD_EDATA, "" },
    { "{\"a\":" T("F32", "1", "0,8") "}", 8, FD_EDATA, "disagree: " },
    { "{\"a\":" T("F32", "0", "0,8") "}", 8, FD_EDATA, "disagree: " },
    { "{\"a\":" T("F32", "2", "8,0") "}", 8, FD_EDATA, "not in the data: " },
    { "{\"a\":" T("F32", "3", "0,12") "}", 8, FD_EDATA, "not in the data: " },
    { "{\"a\":" T("F32", "2", "0,99999999999999999999999999") "}", 8, FD_EDATA,
      "not in the data: " },
    { "{\"a\":" T("F32", "2", "4,12") "}", 12, FD_EDATA, "hole or an overlap before: " },
    { "{\"a\":" A ",\"b\":" T("F32", "1", "12,16") "}", 16, FD_EDATA, "safetensors: b" },
    { "{\"a\":" A ",\"b\":" T("F32", "2", "4,12") "}", 12, FD_EDATA, "safetensors: b" },
    { "{\"a\":" A ",\"b\":" A "}", 8, FD_EDATA, "hole or an overlap" },
    { "{\"a\":" A "}", 9, FD_EDATA, "goes on after" },
    { "{}", 1, FD_EDATA, "goes on after" },
    { "{\"\xff\":" A "}", 8, FD_EDATA, "UTF-8" },
    { "{\"\xc0\xaf\":" A "}", 8, FD_EDATA, "UTF-8" },
    { "{\"\xed\xa0\x80\":" A "}", 8, FD_EDATA, "UTF-8" },
    { "{\"\xe0\x80\xaf\":" A "}", 8, FD_EDATA, "UTF-8" },
    { "{\"\xf4\x90\x80\x80\":" A "}", 8, FD_EDATA, "UTF-8" },
    { "{\"\xc3", 8, FD_EDATA, "" },
    { "{\"\\x\":" A "}", 8, FD_EDATA, "escape" },
    { "{\"\\u12g4\":" A "}", 8, FD_EDATA, "escape" },
    { "{\"\\ud83d\":" A "}", 8, FD_EDATA, "escape" },
    { "{\"\\ud83d\\u0041\":" A "}", 8, FD_EDATA, "escape" },
    { "{\"\\ude00\":" A "}", 8, FD_EDATA, "escape" },
    { "{\"\\u0000\":" A "}", 8, FD_EDATA, "escape" },
    { "{\"a\n\":" A "}", 8, FD_EDATA, "control character" },
    { "{\"a\\", 8, FD_EDATA, "" },
    { "{\"a", 8, FD_EDATA, "control character" },
};

static void tensors_bad(void)
{
    const char *path = test_path("bad.safetensors");
    unsigned char file[1024];
    fd_status st;
    for (size_t r = 0; r < sizeof bad_safe / sizeof *bad_safe; r++) {
        size_t n = strlen(bad_safe[r].text);
        fd_arena a = fresh(&st);
        spit(path, file, safe(file, (long long)n, bad_safe[r].text, n, "0123456789abcdef",
                              (size_t)bad_safe[r].bytes));
        fd_tensors f = fd_tensors_load(&a, path);
        OK(!f.count && !f.tensor, "%s", bad_safe[r].text);
        failed(&st, bad_safe[r].code, bad_safe[r].says, "bad.safetensors", bad_safe[r].text);
    }
    static const struct { long long len; const char *says; } lens[] = {
        { 3, "control" }, { 1, "JSON" }, { 99, "shorter" }, { 100000000, "shorter" },
        { 100000001, "100 MB" },
        { -1, "100 MB" }, { 0x7fffffffffffffffLL, "100 MB" }, { 0, "does not start" } };
    for (size_t r = 0; r < sizeof lens / sizeof lens[0]; r++) {
        fd_arena a = fresh(&st);
        spit(path, file, safe(file, lens[r].len, "{\"a\":" A "}", 50, "01234567", 8));
        fd_tensors_load(&a, path);
        failed(&st, FD_EDATA, lens[r].says, "bad.safetensors", "length");
    }
    fd_arena a = fresh(&st);
    spit(path, file, safe(file, 4, "{}\0 ", 4, NULL, 0));
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "JSON", "bad.safetensors", "NUL in the header");
    /* a name longer than what a message holds */
    char text[700];
    memset(text, 'y', sizeof text);
    memcpy(text, "{\"", 2);
    memcpy(text + 400, "\":" T("F32", "", "0,1") "}", sizeof "\":" T("F32", "", "0,1") "}");
    spit(path, file, safe(file, (long long)strlen(text), text, strlen(text), "0", 1));
    a = fresh(&st);
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "shorter than its header says", "bad.safetensors", "long name");
}

/* the very bytes; and names that cannot be */
static void tensors_bytes(const char *path, fd_real *x)
{
    static const char head[] =
        "{\"__metadata__\":{\"k\":\"v\"},\"w\":{\"dtype\":\"F%d\",\"shape\":[2,3],"
        "\"data_offsets\":[0,%d]},\"s\":{\"dtype\":\"F%d\",\"shape\":[],"
        "\"data_offsets\":[%d,%d]}}";
    unsigned char file[2048], bytes[8];
    fd_status st;
    fresh(&st);
    fd_tensor two[] = { { "w", 2, { 2, 3 }, x, NULL }, { "s", 0, { 0 }, x + 3, NULL } };
    fd_meta one[] = { { "k", "v" } };
    fd_tensors h = { 2, 1, two, one, 0, NULL };
    char want[400];
    int s = (int)sizeof *x, len = sprintf(want, head, 8 * s, 6 * s, 8 * s, 6 * s, 7 * s);
    while ((8 + len) % 64) want[len++] = ' ';
    OK(!fd_tensors_save(&st, path, &h), "%s", st.code ? st.what : "");
    size_t n = slurp(path, file, sizeof file);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((unsigned)len >> (i < 4 ? 8 * i : 31));
    OK(n == (size_t)(8 + len + 7 * s) && !memcmp(file, bytes, 8)
       && !memcmp(file + 8, want, (size_t)len),
       "%.*s", len, (char *)file + 8);
    fd_real little[6];
    test_little(little, x, sizeof *x, 6);
    OK(!memcmp(file + 8 + len, little, (size_t)(6 * s)), "data");
    OK(!memcmp(file + 8 + len + 6 * s, little + 3, (size_t)s), "data");
    h.count = h.metas = 0;
    OK(!fd_tensors_save(&st, path, &h) && slurp(path, file, sizeof file) == 64, "empty");

    static const struct { const char *name, *key, *value; int code; const char *says; } bad[] = {
        { "w", "k", "v", FD_EARG, "twice: w" }, { "__metadata__", "k", "v", FD_EARG, "not a name" },
        { "\xff", "k", "v", FD_EARG, "not a name" }, { "s", "k", "\xc3", FD_EARG, "UTF-8: k" },
        { "s", "\xe9", "", FD_EARG, "UTF-8" } };
    h.count = 2;
    h.metas = 1;
    for (size_t r = 0; r < sizeof bad / sizeof bad[0]; r++) {
        fresh(&st);
        two[1].name = bad[r].name;
        one[0].key = bad[r].key;
        one[0].value = bad[r].value;
        fd_tensors_save(&st, path, &h);
        failed(&st, bad[r].code, bad[r].says, "", "save");
    }
}

static void tensors_write(void)
{
    fd_real x[] = { (fd_real)1.5, (fd_real)-2.25, (fd_real)3.125, (fd_real)2.385, 0, -7 };
    fd_tensor t[] = { { "w", 2, { 2, 3 }, x, NULL }, { "none", 2, { 0, 4 }, NULL, NULL },
                      { "a \"name\"\\ \xc3\xa9\n", 0, { 0 }, x + 3, NULL },
                      { "six", 6, { 1, 1, 2, 1, 1, 2 }, x, NULL } };
    fd_meta m[] = { { "k", "line\n\t\"\\/ \x01 \xf0\x9f\x98\x80" }, { "", "" } };
    fd_tensors f = { 4, 2, t, m, 0, NULL };
    const char *path = test_path("w.safetensors");
    fd_status st;
    fd_arena a = fresh(&st);
    OK(!fd_tensors_save(&st, path, &f), "%s", st.code ? st.what : "");
    fd_tensors g = fd_tensors_load(&a, path);
    OK(!st.code && g.count == 4 && g.metas == 2, "%s", st.code ? st.what : "");
    for (int i = 0; i < g.count; i++) {
        ptrdiff_t count = fd_tensor_find(&g, t[i].name) == g.tensor + i;
        OK(count, "tensor %d", i);
        OK(g.tensor[i].nd == t[i].nd && !memcmp(g.tensor[i].n, t[i].n, sizeof t[i].n), "shape %d",
           i);
        for (int d = 0; d < t[i].nd; d++) count *= t[i].n[d];
        OK(!count || !memcmp(g.tensor[i].x, t[i].x, (size_t)count * sizeof *x), "data %d", i);
    }
    for (int i = 0; i < g.metas; i++)
        OK(!strcmp(g.meta[i].key, m[i].key) && !strcmp(g.meta[i].value, m[i].value), "metadata %d",
           i);

    tensors_bytes(path, x);
    f.metas = 2;
    m[1].key = "k";
    fresh(&st);
    fd_tensors_save(&st, path, &f);
    failed(&st, FD_EARG, "twice: k", "", "metadata twice");
    f.metas = 0;
    t[1].n[0] = 1;
    fresh(&st);
    fd_tensors_save(&st, path, &f);
    failed(&st, FD_EARG, "no data: none", "", "NULL data");
    t[1].n[0] = -1;
    fresh(&st);
    fd_tensors_save(&st, path, &f);
    failed(&st, FD_ESHAPE, "not a shape: none", "", "shape");
    t[1].n[0] = 0;
    fresh(&st);
    fd_tensors_save(&st, test_path("none/w.safetensors"), &f);
    failed(&st, FD_EIO, "fd_tensors_save: cannot create", "none/w.safetensors", "no folder");
}

/* --- .npz --- */

enum { ZIP_EXTRA = 1, ZIP_LATE = 2, ZIP_WIDE = 4, ZIP_COMMENT = 8, ZIP_ALL = 16 };
typedef struct {
    const char *name;
    int named;
    const unsigned char *data;
    size_t n;
    int method, flags;
} zipped;

static void put(unsigned char **p, uint64_t v, int bytes)
{
    for (; bytes--; v >>= 8) *(*p)++ = (unsigned char)v;
}

static uint32_t crc32_of(const unsigned char *p, size_t n)       /* bit by bit */
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < 8 * n; i++) {
        uint32_t bit = (c ^ (uint32_t)p[i / 8] >> i % 8) & 1;
        c = c >> 1 ^ (bit ? 0xedb88320 : 0);
    }
    return ~c;
}

/* zip64's end, and where it is */
static void zip_wide_end(unsigned char **p, int count, uint64_t len, uint64_t dir, uint64_t end)
{
    put(p, 0x06064b50, 4);
    put(p, 44, 8);
    put(p, 45, 2);
    put(p, 45, 2);
    put(p, 0, 8);
    put(p, (uint64_t)count, 8);
    put(p, (uint64_t)count, 8);
    put(p, len, 8);
    put(p, dir, 8);
    put(p, 0x07064b50, 4);
    put(p, 0, 4);
    put(p, end, 8);
    put(p, 1, 4);
}

/* A zip as its writers make them: with numpy's extra field before the data; with the sizes behind
 * the data, as a pipe needs; with zip64 fields everywhere; with a comment that looks like an
 * end. */
static size_t zip(unsigned char *out, int style, int count, const zipped *z)
{
    unsigned char *p = out, *at[8], *dir;
    int late = style & ZIP_LATE, wide = style & ZIP_WIDE;
    for (int i = 0; i < count; i++) {
        uint32_t crc = crc32_of(z[i].data, z[i].n);
        int extra = style & ZIP_EXTRA || wide;
        at[i] = p;
        put(&p, 0x04034b50, 4);
        put(&p, wide ? 45 : 20, 2);
        put(&p, (uint64_t)z[i].flags | (late ? 8 : 0), 2);
        put(&p, (uint64_t)z[i].method, 2);
        put(&p, 0x210000, 4);
        put(&p, late ? 0 : crc, 4);
        for (int k = 0; k < 2; k++) put(&p, wide ? 0xffffffff : late ? 0 : z[i].n, 4);
        put(&p, (uint64_t)z[i].named, 2);
        put(&p, extra ? 20 : 0, 2);
        memcpy(p, z[i].name, (size_t)z[i].named);
        p += z[i].named;
        for (int k = 0; k < 4 && extra; k++)
            put(&p, k == 0 ? 1 : k == 1 ? 16 : late ? 0 : z[i].n, k < 2 ? 2 : 8);
        memcpy(p, z[i].data, z[i].n);
        p += z[i].n;
        for (int k = 0; k < 4 && late; k++)
            put(&p, k == 0 ? 0x08074b50 : k == 1 ? crc : z[i].n, k > 1 && wide ? 8 : 4);
    }
    dir = p;
    for (int i = 0; i < count; i++) {
        put(&p, 0x02014b50, 4);
        put(&p, 20, 2);
        put(&p, wide ? 45 : 20, 2);
        put(&p, (uint64_t)z[i].flags | (late ? 8 : 0), 2);
        put(&p, (uint64_t)z[i].method, 2);
        put(&p, 0x210000, 4);
        put(&p, crc32_of(z[i].data, z[i].n), 4);
        for (int k = 0; k < 2; k++) put(&p, wide ? 0xffffffff : z[i].n, 4);
        put(&p, (uint64_t)z[i].named, 2);
        put(&p, wide ? 33 : 0, 2);
        put(&p, 0, 10);
        put(&p, wide ? 0xffffffff : (uint64_t)(at[i] - out), 4);
        memcpy(p, z[i].name, (size_t)z[i].named);
        p += z[i].named;
        if (!wide) continue;
        put(&p, 0x5455, 2);                            /* another field first */
        put(&p, 1, 2);
        put(&p, 7, 1);
        put(&p, 1, 2);
        put(&p, 24, 2);
        for (int k = 0; k < 3; k++) put(&p, k < 2 ? z[i].n : (uint64_t)(at[i] - out), 8);
    }
    uint64_t len = (uint64_t)(p - dir), end = (uint64_t)(p - out);
    if (wide) zip_wide_end(&p, count, len, (uint64_t)(dir - out), end);
    put(&p, 0x06054b50, 4);
    put(&p, 0, 4);
    for (int k = 0; k < 2; k++) put(&p, wide ? 0xffff : (uint64_t)count, 2);
    put(&p, wide ? 0xffffffff : len, 4);
    put(&p, wide ? 0xffffffff : (uint64_t)(dir - out), 4);
    put(&p, style & ZIP_COMMENT ? 30 : 0, 2);
    if (style & ZIP_COMMENT) { memcpy(p, "PK\5\6 is how a zip begins its end", 30); p += 30; }
    return (size_t)(p - out);
}

static const double npz_w[] = { 1.5, -2.25, 3.125, 65504, 0, -7 };
static const double npz_c[] = { 2.385, -1e10 };

/* three entries, as numpy would hold them; the room that their data need */
static void npz_three(zipped z[3], unsigned char data[3][256])
{
    float w[] = { 1.5f, -2.25f, 3.125f, 65504, 0, -7 };
    double c[2];
    test_little(w, w, sizeof *w, 6);
    test_little(c, npz_c, sizeof *c, 2);
    z[0] = (zipped){ "fno_blocks.convs.0.weight.npy", 29, data[0],
                     npy(data[0], 1, DICT("<f4", "False", "(2, 3)"), w, 24), 0, 0 };
    z[1] = (zipped){ "c\xc3\xa9.npy", 7, data[1],
                     npy(data[1], 1, DICT("<c16", "False", "()"), c, 16), 0, 0x800 };
    z[2] = (zipped){ "none.npy", 8, data[2],
                     npy(data[2], 1, DICT("<f8", "True", "(0, 4)"), NULL, 0), 0, 0 };
}

/* are these the three? */
static int npz_right(const fd_tensors *f)
{
    if (f->count != 3) return 0;
    const fd_tensor *t = f->tensor;
    int ok = t[0].nd == 2 && t[0].n[0] == 2 && t[0].n[1] == 3 && t[1].nd == 1 && t[1].n[0] == 2
          && t[2].nd == 2 && t[2].n[0] == 0 && t[2].n[1] == 4;
    for (int i = 0; i < 6 && ok; i++) ok = t[0].x[i] == (fd_real)npz_w[i];
    for (int i = 0; i < 2 && ok; i++) ok = t[1].x[i] == (fd_real)npz_c[i];
    return ok;
}

static void npz_good(void)
{
    static unsigned char file[2048], data[3][256];
    const char *path = test_path("good.npz");
    zipped z[3];
    fd_status st;
    npz_three(z, data);
    for (int style = 0; style < ZIP_ALL; style++) {
        size_t n = zip(file, style, 3, z);
        fd_arena a = fresh(&st);
        spit(path, file, n);
        fd_tensors f = fd_tensors_load(&a, path);
        OK(!st.code && npz_right(&f), "style %d: %s", style, st.code ? st.what : "wrong");
        OK(!st.code && fd_tensor_find(&f, "fno_blocks.convs.0.weight") == f.tensor
           && fd_tensor_find(&f, "c\xc3\xa9") == f.tensor + 1 && !f.metas,
           "style %d: names", style);
        if (style & ZIP_COMMENT && style != ZIP_ALL - 1) continue;
        for (size_t k = 0; k < n; k++) {
            a = fresh(&st);
            char *beg = a.beg;
            spit(path, file, k);
            f = fd_tensors_load(&a, path);
            OK(st.code == FD_EDATA && !f.count && a.beg == beg, "style %d cut to %d", style,
               (int)k);
        }
        /* any byte damaged: an error or the right data */
        for (size_t k = 0; k < n; k++)
            for (int c = 0; c < 3; c++) {
                unsigned char old = file[k];
                file[k] = (unsigned char)(c == 0   ? ~old
                                          : c == 1 ? old ^ 1
                                                   : old + (old < 128 ? 128 : 1));
                spit(path, file, n);
                file[k] = old;
                a = fresh(&st);
                f = fd_tensors_load(&a, path);
                /* but for the end of a name, without which an entry is no .npy */
                if (st.code ? f.count || f.tensor
                            : !npz_right(&f) && (f.count != 2 || f.others != 1
                                                 || strcmp(f.other[0].type, "not .npy")))
                    OK(0, "style %d, byte %d", style, (int)k);
            }
    }
    spit(path, file, zip(file, 0, 0, z));
    fd_arena a = fresh(&st);
    fd_tensors f = fd_tensors_load(&a, path);
    OK(!st.code && !f.count, "empty");
}

/* many entries of the same bytes */
static void npz_overlap(void)
{
    static unsigned char file[4096], data[32];
    static const char big[] = DICT("<f4", "False", "(2, 3)");
    const char *path = test_path("bad.npz");
    fd_status st;
    static unsigned char many[4096];
    zipped one = { "0.npy", 5, many, npy(many, 1, big, data, 24), 0, 0 };
    size_t n = zip(file, 0, 1, &one);
    size_t dir = n - 22 - 51;
    memcpy(many, file + dir, 51);
    for (int i = 0; i < 40; i++) {
        memcpy(file + dir + (size_t)i * 51, many, 51);
        file[dir + (size_t)i * 51 + 46] = (unsigned char)('0' + i);
    }
    unsigned char *p = file + dir + 40 * 51;
    put(&p, 0x06054b50, 4);
    put(&p, 0, 4);
    put(&p, 40, 2);
    put(&p, 40, 2);
    put(&p, 40 * 51, 4);
    put(&p, dir, 4);
    put(&p, 0, 2);
    spit(path, file, (size_t)(p - file));
    fd_arena a = fresh(&st);
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "malformed zip: ", "bad.npz: >", "overlap");
}

static void npz_bad(void)
{
    static unsigned char file[4096], data[3][256], text[256];
    const char *path = test_path("bad.npz");
    zipped z[3];
    fd_status st;
    static const struct { int row; zipped z; const char *says, *name; } rows[] = {
        { 0, { NULL, 0, NULL, 0, 8, 0 },
          "compressed entry: save with numpy.savez, not savez_compressed: ",
          ": fno_blocks.convs.0.weight" },
        { 1, { NULL, 0, NULL, 0, 12, 0 }, "compressed entry", ": c\xc3\xa9" },
        { 2, { NULL, 0, NULL, 0, 0, 1 }, "encrypted entry: ", ": none" },
        { 0, { "a\0b.npy", 7, NULL, 0, 0, 0 }, "a name with a byte 0: ", "bad.npz" },
        { 0, { "\xff.txt", 5, NULL, 0, 0, 0 }, "a name is not UTF-8: ", "bad.npz" },
        { 0, { "\xff.npy", 5, NULL, 0, 0, 0 }, "a name is not UTF-8: ", "bad.npz" },
        { 0, { "none.npy", 8, NULL, 0, 0, 0 }, "a name is there twice: ", ": none" },
        { 1, { NULL, 0, text, 100, 0, 0 }, "shorter than its header says: ", ": c\xc3\xa9" },
        { 0, { NULL, 0, text, 3, 0, 0 }, "shorter than its header says: ",
          ": fno_blocks.convs.0.weight" } };
    size_t n = npy(text, 1, DICT("|O", "False", "(1,)"), "12345678", 8);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        npz_three(z, data);
        zipped *q = z + rows[r].row;
        const zipped *w = &rows[r].z;
        if (w->name) { q->name = w->name; q->named = w->named; }
        if (w->data) { q->data = w->data; q->n = w->n ? w->n : n; }
        q->method = w->method;
        q->flags |= w->flags;
        fd_arena a = fresh(&st);
        spit(path, file, zip(file, ZIP_EXTRA, 3, z));
        fd_tensors f = fd_tensors_load(&a, path);
        OK(!f.count && !f.tensor, "%s", rows[r].says);
        failed(&st, FD_EDATA, "fd_tensors_load: ", rows[r].name, rows[r].says);
        failed(&st, FD_EDATA, rows[r].says, rows[r].name, rows[r].says);
    }
}

/* a .npz of three arrays with one part of them changed, which is not loaded */
static void npz_changed(void)
{
    static unsigned char file[4096], data[3][256];
    const char *path = test_path("bad.npz"), *const first = ": fno_blocks.convs.0.weight";
    zipped z[3];
    fd_status st;
    fd_arena a = fresh(&st);
    npz_three(z, data);
    const zipped only[2] = { { "x/data.pkl", 10, data[0], 9, 8, 0 },
                             { "npy", 3, data[1], 9, 0, 0 } };
    spit(path, file, zip(file, 0, 2, only));
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "a zip without a .npy in it: ", "bad.npz", "no .npy");
    npy(data[0], 1, DICT("<f4", "False", "(2, 2)"), npz_c, 16);
    spit(path, file, zip(file, 0, 3, z));
    a = fresh(&st);
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "goes on after its array: ", first, "longer");
    npz_three(z, data);
    size_t n = zip(file, 0, 3, z);
    file[30 + 29 + z[0].n - 1] ^= 1;
    spit(path, file, n);
    a = fresh(&st);
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "checksum is wrong: ", first, "crc");
}

/* the end of a long path and the beginning of a long name are said */
static void npz_long(void)
{
    static unsigned char file[4096], data[3][256];
    char far[160], name[131];
    zipped z[3];
    fd_status st;
    fd_arena a = fresh(&st);
    const char *const own = strrchr(strcpy(far, test_folder()), '/') - far + test_folder();
    while (strlen(far) < 130) strcat(strcat(far, "/.."), own);
    strcat(far, "/bad.npz");
    memset(name, 'x', 126);
    strcpy(name + 126, ".npy");
    npz_three(z, data);
    z[0].name = name, z[0].named = 130, z[0].flags |= 1;
    spit(test_path("bad.npz"), file, zip(file, 0, 3, z));
    fd_tensors_load(&a, far);
    name[95] = 0;
    failed(&st, FD_EDATA, "encrypted entry: ", name, "long");
}

/* the end says that its zip64 part counts, which is not there, or which lacks a number; and one
 * that says so rightly, of the place alone */
static void npz_wide(void)
{
    static unsigned char file[4096], data[3][256];
    static const char *const says[] = { "malformed zip: ", "bad.npz" };
    const char *path = test_path("bad.npz");
    zipped z[3];
    fd_status st;
    fd_arena a;
    npz_three(z, data);
    for (int i = 0; i < 2; i++) {
        const size_t n = zip(file, ZIP_WIDE, 3, z);
        unsigned char *at = file + (i ? n - 22 - 20 - 56 - (size_t)28 + 2 : n - 22);
        if (i) at[0] = 16;                        /* of the last entry: three numbers in 16 bytes */
        a = fresh(&st);
        if (i) spit(path, file, n); else spit(path, at, 22);
        OK(!fd_tensors_load(&a, path).count, "zip64, row %d", i);
        failed(&st, FD_EDATA, says[i], "bad.npz", "zip64");
    }
    const size_t n = zip(file, ZIP_WIDE, 1, z);
    memcpy(file + n - 22 + 8, "\1\0\1\0\0\0\0\0", 8);
    a = fresh(&st);
    spit(path, file, n);
    OK(fd_tensors_load(&a, path).count == 1 && !st.code, "%s", st.code ? st.what : "");
}

/* The same of a .safetensors. */
static void strangers_tensors(void)
{
    static unsigned char file[4096];
    fd_status st;
    static const char head[] =
        "{\"i64\":" T("I64", "2", "0,16") ",\"f8\":" T("F8_E4M3", "3", "16,19")
        ",\"u8\":" T("U8", "3", "19,22") ",\"bool\":" T("BOOL", "2", "22,24")
        ",\"i16\":" T("I16", "1,1", "24,26") ",\"u32\":" T("U32", "", "26,30")
        ",\"deep\":" T("F32", "1,1,1,1,1,1,1", "30,34")
        ",\"cdeep\":" T("C64", "1,1,1,1,1,1", "34,42")
        ",\"wide\":" T("U8", "4294967297,0", "42,42") ",\"new\":" T("F4 \\n", "7", "42,46")
        ",\"last\":" T("U64", "1", "46,54") ",\"i8\":" T("I8", "1", "54,55")
        ",\"u16\":" T("U16", "1", "55,57") ",\"i32\":" T("I32", "1", "57,61") "}";
    static const char bytes[] =
        "\xff\xff\xff\xff\xff\xff\xff\xff\x07\0\0\0\0\0\0\0" "123" "\0\x80\xff" "\0\x01"
        "\x85\xff" "\xff\0\0\x80" "1234" "12345678" "1234"
        "\0\0\0\0\0\0\0\x80" "\x80" "\x01\xff" "\xfe\xff\xff\xff";
    static const struct { const char *name; int n; double x[3]; } want[] = {
        { "i64", 2, { -1, 7 } }, { "u8", 3, { 0, 128, 255 } }, { "bool", 2, { 0, 1 } },
        { "i16", 1, { -123 } }, { "u32", 1, { 2147483903.0 } },
        { "last", 1, { 9223372036854775808.0 } }, { "i8", 1, { -128 } }, { "u16", 1, { 65281 } },
        { "i32", 1, { -2 } } };
    static const char *const other[][2] = {
        { "f8", "F8_E4M3" }, { "deep", "more than 6 axes" },
        { "cdeep", "more than 5 axes of complex numbers" }, { "wide", "an extent is too large" },
        { "new", "F4 \n" } };
    const char *path = test_path("mixed.safetensors");
    fd_arena a = fresh(&st);
    spit(path, file, safe(file, (long long)strlen(head), head, strlen(head), bytes,
                          sizeof bytes - 1));
    fd_tensors f = fd_tensors_load(&a, path);
    OK(!st.code && f.count == 9 && f.others == 5, "%s", st.code ? st.what : "");
    for (int i = 0; !st.code && i < 9; i++) {
        const fd_tensor *t = fd_tensor_find(&f, want[i].name);
        OK(t == f.tensor + i, "%s", want[i].name);
        for (int k = 0; t && k < want[i].n; k++)
            OK(t->x[k] == (fd_real)want[i].x[k], "%s[%d] = %.17g", want[i].name, k,
               (double)t->x[k]);
    }
    for (int i = 0; !st.code && i < 5; i++)
        OK(!strcmp(f.other[i].name, other[i][0]) && !strcmp(f.other[i].type, other[i][1])
           && !f.other[i].x, "%s: %s", f.other[i].name, f.other[i].type);
}

/* Members of other kinds do not block an archive: they are listed, with type and shape. */
static void strangers(void)
{
    static unsigned char file[4096], text[4][256];
    const char *path = test_path("mixed.npz");
    fd_status st;
    zipped z[7];
    static unsigned char data[3][256];
    npz_three(z + 2, data);
    z[0] = (zipped){ "names.npy", 9, text[0],
                     npy(text[0], 1, DICT("<U4", "False", "(2, 3)"), data, 96), 0, 0 };
    z[1] = (zipped){ "README.txt", 10, text[0], 20, 8, 0 };
    z[5] = (zipped){ "things.npy", 10, text[1],
                     npy(text[1], 1, DICT("|O", "False", "(1,)"), data, 8), 0, 0 };
    z[6] = (zipped){ "deep.npy", 8, text[2],
                     npy(text[2], 1, DICT("<f4", "False", "(1, 1, 1, 1, 1, 1, 1)"), data, 4),
                     0, 0 };
    for (int style = 0; style < ZIP_ALL; style++) {
        fd_arena a = fresh(&st);
        spit(path, file, zip(file, style, 7, z));
        fd_tensors f = fd_tensors_load(&a, path);
        OK(!st.code && npz_right(&f) && f.others == 4, "style %d: %s", style,
           st.code ? st.what : "wrong");
        if (st.code || f.others != 4) continue;
        const fd_tensor *o = f.other;
        OK(!strcmp(f.tensor[0].type, "<f4") && !strcmp(f.tensor[1].type, "<c16"),
           "types of numbers");
        OK(!strcmp(o[0].name, "names") && !strcmp(o[0].type, "<U4") && o[0].nd == 2
           && o[0].n[1] == 3, "strings");
        OK(!strcmp(o[1].name, "README.txt") && !strcmp(o[1].type, "not .npy") && !o[1].nd,
           "a text");
        OK(!strcmp(o[2].name, "things") && !strcmp(o[2].type, "|O") && o[2].nd == 1
           && o[2].n[0] == 1, "objects");
        OK(!strcmp(o[3].name, "deep") && !strcmp(o[3].type, "more than 6 axes") && !o[3].nd,
           "many axes");
        for (int i = 0; i < 4; i++) OK(!o[i].x, "%s has numbers", o[i].name);
        OK(!fd_tensor_find(&f, "names") && fd_tensor_need(&st, "me", &f, "none") == f.tensor + 2
           && !st.code, "find");
        OK(!fd_tensor_need(&st, "me", &f, "names"), "strings are no numbers");
        failed(&st, FD_EDATA, "me: not numbers: names", "", "need");
        fresh(&st);
        OK(!fd_tensor_need(&st, "me", &f, "w"), "not there");
        failed(&st, FD_EDATA, "me: missing tensor: w", "", "need");
    }
    strangers_tensors();
}

static void npz_write(void)
{
    static unsigned char file[4096], want[4096], data[3][256];
    const char *path = test_path("w.npz");
    fd_real x[] = { (fd_real)1.5, (fd_real)-2.25, (fd_real)3.125, (fd_real)2.385, 0, -7 };
    fd_tensor t[] = { { "w", 2, { 2, 3 }, x, NULL }, { "a.\xc3\xa9", 0, { 0 }, x + 3, NULL },
                      { "none", 1, { 0 }, NULL, NULL } };
    fd_tensors f = { 3, 0, t, NULL, 0, NULL };
    zipped z[3];
    char text[3][100];
    fd_status st;
    fd_real little[6];
    int s = (int)sizeof *x;
    test_little(little, x, sizeof *x, 6);
    static const char *const name[] = { "w.npy", "a.\xc3\xa9.npy", "none.npy" };
    static const char *const shape[] = { "(2, 3)", "()", "(0,)" };
    for (int i = 0; i < 3; i++) {
        sprintf(text[i], "{'descr': '<f%d', 'fortran_order': False, 'shape': %s, }", s, shape[i]);
        z[i] = (zipped){ name[i], (int)strlen(name[i]), data[i],
                         npy(data[i], 1, text[i], i ? little + 3 : little,
                             (size_t)(i == 0 ? 6 * s : i == 1 ? s : 0)), 0, 0x800 };
    }
    size_t n = zip(want, 0, 3, z);
    fd_arena a = fresh(&st);
    OK(!fd_npz_save(&st, path, &f), "%s", st.code ? st.what : "");
    OK(slurp(path, file, sizeof file) == n && !memcmp(file, want, n), "the very bytes");
    fd_tensors g = fd_tensors_load(&a, path);
    OK(g.count == 3 && !memcmp(g.tensor[0].x, x, sizeof x) && g.tensor[1].x[0] == x[3], "back");
    f.count = 0;
    OK(!fd_npz_save(&st, path, &f) && slurp(path, file, sizeof file) == 22, "empty");
    static char longest[70000];
    memset(longest, 'n', sizeof longest - 1);
    static const struct { const char *name; int n, nd; const char *says; } bad[] = {
        { "w", 0, 1, "twice: w" }, { "\xff", 0, 1, "not a name" }, { "b", 1, 1, "no data: b" },
        { "b", 0, 7, "not a shape: b" },
        { longest, 0, 1, "use .safetensors: nnn" } };
    f.count = 3;
    for (size_t r = 0; r < sizeof bad / sizeof bad[0]; r++) {
        fresh(&st);
        remove(path);
        t[2] = (fd_tensor){ .name = bad[r].name, .nd = bad[r].nd, .n = { bad[r].n } };
        fd_npz_save(&st, path, &f);
        failed(&st, bad[r].nd == 7 ? FD_ESHAPE : FD_EARG, bad[r].says, "fd_npz_save", bad[r].says);
        OK(!exists(path), "%s: written", bad[r].says);
    }
    fresh(&st);
    f.count = 2;
    fd_npz_save(&st, test_path("none/w.npz"), &f);
    failed(&st, FD_EIO, "fd_npz_save: cannot create", "none/w.npz", "no folder");
}

/* names and places in any order: a file of many tensors, the data from the last to the first */
static void tensors_many(void)
{
    enum { N = 1000 };
    static char text[N * 80];
    static unsigned char file[sizeof text + 8 + 4 * N];
    static float data[N];
    const char *path = test_path("many.safetensors");
    size_t n = 0;
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    for (int i = 0; i < N; i++) {
        int k = (int)(i * 617L % N);                        /* 617 is coprime to 1000 */
        data[N - 1 - k] = (float)k + 0.25f;
        n += (size_t)sprintf(text + n,
                             "%s\"t%d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                             i ? "," : "{", k, 4 * (N - 1 - k), 4 * (N - k));
    }
    n += (size_t)sprintf(text + n, "}");
    test_little(data, data, sizeof *data, N);
    spit(path, file, safe(file, (long long)n, text, n, data, sizeof data));
    fd_tensors f = fd_tensors_load(&a, path);
    OK(!st.code && f.count == N, "%s", st.code ? st.what : "");
    for (int i = 0; i < f.count; i++)
        OK(f.tensor[i].x[0] == (fd_real)(atoi(f.tensor[i].name + 1) + 0.25), "%s",
           f.tensor[i].name);
}

/* FNV-1a, by which names are told apart */
static uint32_t fnv(const char *p)
{
    uint32_t h = 2166136261u;
    for (; *p; p++) h = (h ^ (unsigned char)*p) * 16777619u;
    return h;
}

/* Names that fall into one part of all hashes, more than a table of them holds; more tensors than a
 * zip may have; a header longer than the format allows. */
static void too_many(void)
{
    enum { N = 2100, PARTS = N / 682 + 1, ALL = 65535, LONG = 100000001 };
    static char name[ALL][8];
    static fd_tensor t[ALL];
    const char *path = test_path("names.safetensors");
    const fd_real x = 1;
    fd_tensors f = { N, 0, t, NULL, 0, NULL };
    fd_status st;
    for (int i = 0, k = 0; i < N; k++) {
        sprintf(name[i], "%d", k);
        if (fnv(name[i]) % PARTS) continue;
        t[i] = (fd_tensor){ name[i], 0, { 0 }, (fd_real *)&x, NULL };
        i++;
    }
    fresh(&st);
    OK(!fd_tensors_save(&st, path, &f), "%s", st.code ? st.what : "");
    fd_arena a = test_arena(1 << 22, &st);
    const fd_tensors g = fd_tensors_load(&a, path);
    OK(g.count == N && !strcmp(g.tensor[N - 1].name, name[N - 1]), "they come back");
    t[N - 1].name = name[N - 3];
    fresh(&st);
    fd_tensors_save(&st, path, &f);
    failed(&st, FD_EARG, "fd_tensors_save: a name is there twice: ", name[N - 3], "twice");
    fresh(&st);
    f.count = ALL;
    for (int i = 0; i < ALL; i++) {
        sprintf(name[i], "%d", i);
        t[i] = (fd_tensor){ name[i], 0, { 0 }, (fd_real *)&x, NULL };
    }
    fd_npz_save(&st, path, &f);
    failed(&st, FD_EARG, "fd_npz_save: more than a zip without extensions holds", "", "65535");
    char *text = malloc(LONG);
    if (!text) return;
    memset(text, 'x', LONG - 1);
    text[LONG - 1] = 0;
    t->name = text;
    f.count = 1;
    fresh(&st);
    fd_tensors_save(&st, path, &f);
    failed(&st, FD_EARG, "fd_tensors_save: header is larger than 100 MB: ", "names.safetensors",
           "a long name");
    free(text);
}

/* An entry that is not of numbers and longer than what is read at a time: listed, its checksum is
 * seen to all the same, and it needs some memory. */
static void strange_long(void)
{
    static unsigned char file[8192], text[6600];
    static char data[6400];
    const char *path = test_path("strange.npz");
    fd_status st;
    zipped z = { "names.npy", 9, text, npy(text, 1, DICT("<U4", "False", "(400,)"), data, 6400), 0,
                 0 };
    const size_t n = zip(file, 0, 1, &z);
    int done = 0;
    spit(path, file, n);
    for (size_t size = 0; !done && size < 8192; size += 16) {
        fd_arena a = fd_arena_over(mem, size, &st);
        const fd_tensors f = fd_tensors_load(&a, path);
        done = !st.code;
        OK(done ? f.others == 1 && !strcmp(f.other->type, "<U4") && f.other->n[0] == 400
                : st.code == FD_ENOMEM && !f.others, "%d bytes: %s", (int)size, explain(&st));
    }
    OK(done, "enough memory");
    file[30 + 9 + z.n - 1] ^= 1;
    spit(path, file, n);
    fd_arena a = fresh(&st);
    fd_tensors_load(&a, path);
    failed(&st, FD_EDATA, "checksum is wrong: ", ": names", "crc of what is not read");
}

/* Headers that other writers may make: white space of any kind, a type of any length, any UTF-8. */
static void headers(void)
{
    enum { N = 1500 };
    static unsigned char file[4096], bytes[N];
    const char *path = test_path("other");
    fd_status st;
    for (int i = 0; i < N; i++) bytes[i] = (unsigned char)(i * 7);
    spit(path, file, npy(file, 1, "{'descr':\r'|u1',\t'fortran_order':\nFalse, 'shape': (1500,)}",
                         bytes, N));
    fd_arena a = test_arena(1 << 16, &st);
    const fd_array y = fd_npy_load(&a, path);
    int right = y.nd == 1 && y.n[0] == N;
    for (int i = 0; right && i < N; i++) right = y.x[i] == bytes[i];
    OK(right && !st.code, "bytes behind white space");
    static const char text[] = "{\"\xe0\xa0\x80\":" T("A_TYPE_OF_A_LONG_NAME", "2", "0,8") ",\"b\":"
                               T("U8", "2", "8,10") "}";
    spit(path, file, safe(file, sizeof text - 1, text, sizeof text - 1, bytes, 10));
    a = test_arena(1 << 16, &st);
    const fd_tensors f = fd_tensors_load(&a, path);
    OK(!st.code && f.count == 1 && f.others == 1, "%s", st.code ? st.what : "");
    if (f.others == 1)
        OK(f.tensor->x[1] == 7 * 9 && !strcmp(f.other->name, "\xe0\xa0\x80")
           && strstr(f.other->type, "A_TYPE_OF_A_LONG_NAME"), "%s", f.other->type);
}

/* Headers made to cost: memory in proportion to the file, and time too (a square would be
 * hours). */
static void costs(void)
{
    enum { N = 200000, ROOM = N * 72 };
    const char *path = test_path("cost.safetensors");
    unsigned char *file = malloc(ROOM + 8);
    char *text = (char *)file + 8;
    fd_status st;
    if (!file) { OK(0, "memory"); return; }
    fd_arena a = test_arena((size_t)64 << 20, &st), whole = a;
    for (int kind = 0; kind < 6; kind++) {
        static const char *const unit[] = { ":", "\"\":", "{}", "\":\"\":" };
        size_t n = kind == 5 ? (size_t)sprintf(text, "{\"__metadata__\":{") : 1;
        text[0] = '{';
        if (kind < 4) while (n < 1000000) n += (size_t)sprintf(text + n, "%s", unit[kind]);
        for (int i = 0; kind == 4 && i < N; i++)
            n += (size_t)sprintf(text + n,
                                 "%s\"%x\":{\"dtype\":\"F32\",\"shape\":[0],"
                                 "\"data_offsets\":[0,0]}",
                                 i ? "," : "", (unsigned)i);
        for (int i = 0; kind == 5 && i < N; i++) n += (size_t)sprintf(text + n, "%s\"%x\":\"\"", i
                                                                      ? "," : "", (unsigned)i);
        n += (size_t)sprintf(text + n, "%s", kind == 5 ? "}}" : "}");
        for (int i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)n >> 8 * i);
        spit(path, file, n + 8);
        a = fd_arena_over(whole.beg, (size_t)(whole.end - whole.beg), &st);
        fd_tensors f = fd_tensors_load(&a, path);
        if (kind < 4) OK(st.code == FD_EDATA, "kind %d: code %d", kind, st.code);
        else OK(!st.code && f.count == (kind == 4 ? N : 0) && f.metas == (kind == 4 ? 0 : N),
                "kind %d", kind);
        const double times = (double)(st.size - st.low) / (double)n;
        OK(times < (FD_REDZONE ? 7 : 4.5), "kind %d: %.1f times the file's size", kind, times);
        if (kind < 4) continue;
        OK(!fd_tensors_save(&st, path, &f), "saved: %s", st.code ? st.what : "");
        if (kind == 4) f.tensor[17].name = f.tensor[N - 1].name;
        else f.meta[17].key = f.meta[N - 1].key;
        OK(fd_tensors_save(&st, path, &f) == FD_EARG && strstr(st.what, "twice"), "a name twice");
        remove(path);
    }
    free(file);
}

/* --- arena of every size --- */

static void starved(void)
{
    const char *paths[] = { test_path("s.npy"), test_path("s.idx"), test_path("s.safetensors"),
                            test_path("s.npz"), test_path("s.other") };
    static unsigned char others[512];
    fd_real x[30];
    unsigned char bytes[12 + 30] = { 0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 10 };
    int n[2] = { 3, 10 };
    fd_status st;
    fresh(&st);
    for (int i = 0; i < 30; i++) x[i] = bytes[12 + i] = (unsigned char)(i * 7);
    fd_tensor t[2] = { { "x", 2, { 3, 10 }, x, NULL }, { "y", 1, { 30 }, x, NULL } };
    fd_meta m = { "k", "v" };
    fd_tensors f = { 2, 1, t, &m, 0, NULL };
    fd_npy_save(&st, paths[0], 2, n, x);
    spit(paths[1], bytes, sizeof bytes);
    fd_tensors_save(&st, paths[2], &f);
    fd_npz_save(&st, paths[3], &f);
    OK(!st.code, "%s", st.code ? st.what : "");
    float y4[30];
    for (int i = 0; i < 30; i++) y4[i] = (float)x[i];
    test_little(y4, y4, sizeof *y4, 30);
    static const char text[] = "{\"y\":" T("F32", "30", "0,120") ",\"z\":"
        T("X", "1", "120,121") "}";
    spit(paths[4], others, safe(others, sizeof text - 1, text, sizeof text - 1, y4, 120) + 1);
    for (int kind = 0; kind < 5; kind++) {
        int done = 0;
        for (size_t size = 0; !done && size < 4096; size += 32) {
            fd_arena a = fd_arena_over(mem, size, &st);
            const fd_real *y;
            if (kind < 2) y = fd_load(&a, paths[kind]).x;
            else {
                fd_tensors g = fd_tensors_load(&a, paths[kind]);
                y = g.count ? fd_tensor_find(&g, "y")->x : NULL;
            }
            done = y != NULL;
            OK(done ? !st.code && !memcmp(x, y, sizeof x) : st.code == FD_ENOMEM,
               "kind %d size %d", kind, (int)size);
        }
        OK(done, "kind %d never succeeds", kind);
    }
}

/* --- pictures and tables --- */

static void colours(void)
{
    static const struct { int map; double u; int rgb[3], tol; } rows[] = {
        { FD_GRAY, 0, { 0, 0, 0 }, 0 }, { FD_GRAY, 1, { 255, 255, 255 }, 0 },
        { FD_GRAY, 0.2, { 51, 51, 51 }, 0 }, { FD_GRAY, -3, { 0, 0, 0 }, 0 },
        { FD_GRAY, 7, { 255, 255, 255 }, 0 }, { FD_GRAY, INFINITY, { 255, 255, 255 }, 0 },
        { FD_GRAY_INVERSE, 0.2, { 204, 204, 204 }, 0 },
        { FD_VIRIDIS, 0, { 68, 1, 84 }, 0 }, { FD_VIRIDIS, 1, { 253, 231, 37 }, 0 },
        { FD_VIRIDIS, 128 / 255., { 33, 145, 140 }, 2 },
        { FD_VIRIDIS, 64 / 255., { 59, 82, 139 }, 2 },
        { FD_VIRIDIS, 160 / 255., { 40, 174, 128 }, 2 },
        { FD_VIRIDIS, 192 / 255., { 94, 201, 98 }, 2 },
        { FD_VIRIDIS, 232 / 255., { 195, 224, 33 }, 5 },
        { FD_DIVERGING, 0.5, { 255, 255, 255 }, 0 },
        { FD_GRAY, NAN, { 255, 0, 255 }, 0 }, { FD_DIVERGING, NAN, { 255, 0, 255 }, 0 } };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        unsigned char c[3];
        fd_colour(rows[r].map, rows[r].u, c);
        for (int i = 0; i < 3; i++)
            NEAR(c[i], rows[r].rgb[i], rows[r].tol, "map %d at %g, colour %d", rows[r].map,
                 rows[r].u, i);
    }
    unsigned char lo[3], hi[3];
    fd_colour(FD_DIVERGING, 0.1, lo);
    fd_colour(FD_DIVERGING, 0.9, hi);
    OK(lo[2] > lo[0] && hi[0] > hi[2], "blue below, red above");
}

static void sheets(const char *path)
{
    unsigned char file[4096];
    int w = 0, h = 0, c = 0;
    fd_status st;
    fd_arena a = fresh(&st);
    enum { ROWS = 2, COLS = 3, COUNT = ROWS * COLS - 1, FH = 3, FW = 2, ZOOM = 4 };
    fd_real x[ROWS * COLS * FH * FW];
    for (int i = 0; i < ROWS * COLS * FH * FW; i++) x[i] = (fd_real)(i % 11 * 0.385 - 1);
    x[17] = (fd_real)NAN;
    OK(!fd_png_sheet(&st, path, COUNT, COLS, FH, FW, x, -1, 2.385, FD_VIRIDIS, ZOOM, a), "%s",
       st.code ? st.what : "");
    size_t n = slurp(path, file, sizeof file);
    unsigned char *px = stbi_load_from_memory(file, (int)n, &w, &h, &c, 0);
    OK(px && h == ROWS * FH * ZOOM + 2 * ZOOM && w == COLS * FW * ZOOM + 2 * 2 * ZOOM,
       "sheet %d x %d", h, w);
    int wrong = 0, gaps = 0;
    for (int i = 0; px && i < h; i++)
        for (int j = 0; j < w; j++) {
            unsigned char want[3] = { 255, 255, 255 };
            int ty = i / ((FH + 2) * ZOOM), y = i % ((FH + 2) * ZOOM) / ZOOM;
            int tx = j / ((FW + 2) * ZOOM), xx = j % ((FW + 2) * ZOOM) / ZOOM;
            if (y < FH && xx < FW && ty * COLS + tx < COUNT) {
                double v = (double)x[((ty * COLS + tx) * FH + y) * FW + xx];
                fd_colour(FD_VIRIDIS, (v + 1) / 3.385, want);
            } else gaps++;
            wrong += memcmp(want, px + 3 * (i * w + j), 3) != 0;
        }
    OK(!wrong && gaps == h * w - COUNT * FH * FW * ZOOM * ZOOM,
       "%d pixels wrong, %d of gaps", wrong, gaps);
    stbi_image_free(px);
    OK(!fd_png_sheet(&st, path, 1, 1, FH, FW, x, 1, 1, FD_GRAY, 1, a), "lo = hi");
    OK(!fd_png_sheet(&st, path, 2, 2, 1, 1, x + 16, 1, 1, FD_GRAY, 1, a), "lo = hi");
    n = slurp(path, file, sizeof file);
    px = stbi_load_from_memory(file, (int)n, &w, &h, &c, 0);
    OK(px && w == 4 && h == 1 && px[0] == 128 && px[1] == 128 && px[9] == 255 && px[10] == 0,
       "the middle, and not a number");
    stbi_image_free(px);
}

/* arguments that a caller may get wrong: recorded, not asserted */
static void wrong_arguments(void)
{
    const char *path = test_path("p.png");
    const fd_real x[1] = { 0 };
    fd_status st;
    fd_arena a;
    a = fresh(&st);
    fd_png_sheet(&st, path, 1, 1, 1, 1, x, 0, 1, 9, 1, a);
    failed(&st, FD_EARG, "fd_png_sheet: unknown colour map: 9", "", "map");
    a = fresh(&st);
    fd_png_sheet(&st, path, 1, 1, 1, 1, x, 0, 1, -1, 1, a);
    failed(&st, FD_EARG, "fd_png_sheet: unknown colour map: -1", "", "map");
    unsigned char odd[3] = { 0, 0, 0 };
    fd_colour(-1, .5, odd);
    OK(odd[0] == 255 && odd[1] == 0 && odd[2] == 255, "an unknown map");
    odd[0] = 0;
    fd_colour(FD_DIVERGING + 1, .5, odd);
    OK(odd[0] == 255 && odd[1] == 0 && odd[2] == 255, "one more");
    a = fresh(&st);
    fd_load(&a, NULL);
    failed(&st, FD_EARG, "fd_load: no name of a file", "", "NULL");
    fresh(&st);
    fd_npy_save(&st, NULL, 0, NULL, x);
    failed(&st, FD_EARG, "fd_npy_save: no name of a file", "", "NULL");
    fresh(&st);
    fd_csv_save(&st, test_path("t.csv"), -1, NULL, 2, (double[]){ 1 });
    failed(&st, FD_EARG, "fd_csv_save: not a table: columns, rows: -1, 2", "", "table");
}

static void tables(void)
{
    unsigned char file[4096];
    fd_status st;
    static const char *const name[] = { "step", "loss, mean", "the \"best\"" };
    static const double v[] = { 1, 2.385, NAN, 2, -1.0 / 3, 1e300 };
    static const char want[] =
        "step,\"loss, mean\",\"the \"\"best\"\"\"\n1,2.385,nan\n2,-0.333333333,1e+300\n";
    fresh(&st);
    OK(!fd_csv_save(&st, test_path("t.csv"), 3, name, 2, v), "%s", st.code ? st.what : "");
    size_t n = slurp(test_path("t.csv"), file, sizeof file);
    OK(n == sizeof want - 1 && !memcmp(file, want, n), "%.*s", (int)n, (char *)file);
    OK(!fd_csv_save(&st, test_path("t.csv"), 0, NULL, 0, v), "%s", st.code ? st.what : "");
    OK(slurp(test_path("t.csv"), file, sizeof file) == 1 && file[0] == '\n', "no columns");
    static const char text[] = "a line\nand another, \"without\" an end";
    OK(!fd_text_save(&st, test_path("t.txt"), text), "%s", st.code ? st.what : "");
    OK(slurp(test_path("t.txt"), file, sizeof file) == sizeof text - 1
       && !memcmp(file, text, sizeof text - 1) && !leftover("t.txt"), "text");
    OK(!fd_text_save(&st, test_path("t.txt"), ""), "%s", st.code ? st.what : "");
    OK(!slurp(test_path("t.txt"), file, sizeof file) && exists(test_path("t.txt")), "no text");
    fd_text_save(&st, test_path("none/t.txt"), text);
    failed(&st, FD_EIO, "fd_text_save", "none/t.txt", "no folder");
    st.code = 0;
    fd_csv_save(&st, test_path("none/t.csv"), 3, name, 2, v);
    failed(&st, FD_EIO, "fd_csv_save", "none/t.csv", "no folder");
}

static void pictures(void)
{
    colours();
    /* a picture and a sheet, decoded again */
    enum { H = 5, W = 7 };
    unsigned char rgb[H][W][3], file[4096];
    const char *path = test_path("p.png");
    fd_status st;
    fd_arena a = fresh(&st);
    for (int i = 0; i < H * W * 3; i++) (&rgb[0][0][0])[i] = (unsigned char)(i * i * 31 >> 2);
    OK(!fd_png_save(&st, path, H, W, &rgb[0][0][0]), "%s", st.code ? st.what : "");
    size_t n = slurp(path, file, sizeof file);
    static const unsigned char start[] =
        "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\7\0\0\0\5\x08\2\0\0\0";
    static const unsigned char end[] = "\0\0\0\0IEND\xae\x42\x60\x82";
    OK(n > 60 && !memcmp(file, start, sizeof start - 1) && !memcmp(file + n - 12, end, 12),
       "frame of the file");
    int w = 0, h = 0, c = 0;
    unsigned char *px = stbi_load_from_memory(file, (int)n, &w, &h, &c, 0);
    OK(px && w == W && h == H && c == 3 && !memcmp(px, rgb, sizeof rgb), "pixels");
    stbi_image_free(px);

    sheets(path);

    enum { ROWS = 2, COLS = 3, FH = 3, FW = 2 };
    fd_real x[ROWS * COLS * FH * FW] = { 0 };
    static const int sizes[][5] = { { 0, 1, 1, 1, 1 }, { 1, 1, 1, -1, 1 }, { 1, 1, 1, 1, 0 },
        { 2147483647, 2147483647, 2147483647, 2147483647, 2147483647 },
        { 1 << 20, 1, 1 << 20, 1, 4096 }, { 1, 4096, 1, 4096, 2 } };
    for (size_t r = 0; r < sizeof sizes / sizeof sizes[0]; r++) {
        const int *z = sizes[r];
        a = fresh(&st);
        fd_png_sheet(&st, path, z[0], z[1], z[2], z[3], x, 0, 1, FD_GRAY, z[4], a);
        failed(&st, FD_ESHAPE, "fd_png_sheet: not a size", "", "sheet");
    }
    a = fd_arena_over(mem, 32, &st);
    fd_png_sheet(&st, path, ROWS, COLS, FH, FW, x, 0, 1, FD_GRAY, 1, a);
    OK(st.code == FD_ENOMEM, "sheet without memory");
    fresh(&st);
    fd_png_save(&st, path, 0, 7, &rgb[0][0][0]);
    failed(&st, FD_ESHAPE, "fd_png_save", "0, 7", "picture");
    static const struct { int h, w; const char *says; } sides[] = {
        { 7, 0, "7, 0" }, { 1, (1 << 24) + 1, "1, 16777217" }, { 1 << 24, 8, "16777216, 8" } };
    for (int i = 0; i < 3; i++) {
        fresh(&st);
        fd_png_save(&st, path, sides[i].h, sides[i].w, &rgb[0][0][0]);
        failed(&st, FD_ESHAPE, "fd_png_save", sides[i].says, "picture");
    }
    fresh(&st);
    fd_png_save(&st, test_path("none/p.png"), H, W, &rgb[0][0][0]);
    failed(&st, FD_EIO, "fd_png_save: cannot create: ", "none/p.png", "no folder");

    wrong_arguments();
    tables();
}

void test_files(void)
{
    npy_good();
    npy_bad();
    npy_write();
    names();
    taken_names();
    nothing_written();
    wrong_shapes();
    idx();
    tensors_good();
    tensors_bad();
    tensors_write();
    tensors_many();
    too_many();
    headers();
    strange_long();
    npz_good();
    npz_bad();
    npz_changed();
    npz_long();
    npz_wide();
    npz_overlap();
    npz_write();
    strangers();
    costs();
    starved();
    pictures();
}
