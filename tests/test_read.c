/* test_read.c -- examples/tool/read.h: files as numpy, scipy, PyTorch and Pillow write them
 * (tests/read.py), and cut, damaged and lying ones: an error or the right numbers, within memory
 * that is a small multiple of the file. */
#include "read.h"
#include "test.h"
#ifdef READ_NO_MMAP
#define test_read test_plainread
#endif

enum { MEM = 1 << 24, VALUES = 48 };
static const char dir[] = "tests/data/read/";

/* what the files hold: see tests/read.py */
enum { X, TENS, COMPLEX, OVER_100, AS_F2 };
static double value(int rule, int i)
{
    double x = .375 * (rule == COMPLEX ? i / 2 : i) - 2;
    if (rule == TENS) return 10 * i;
    if (rule == OVER_100) return 10 * i > 100;
    return rule == COMPLEX && i % 2 ? -2 * x : x;
}

static const struct {
    const char *name, *format, *type;
    int rule, bytes;
} rows[] = {
    { "x.npy", "NumPy", "float64", X, 0 },
    { "x.npy.gz", "NumPy", "float64", X, 0 },
    { "one.npz", "NumPy zip", "float32", X, 0 },
    { "x.idx", "IDX", "uint8", TENS, 1 },
    { "x.idx.gz", "IDX", "uint8", TENS, 1 },
    { "stored.npz:f4", "NumPy zip", "float32", X, 0 },
    { "stored.npz:fortran", "NumPy zip", "float64", X, 0 },
    { "stored.npz:u1", "NumPy zip", "uint8", TENS, 1 },
    { "stored.npz:i2", "NumPy zip", "int16", TENS, 0 },
    { "stored.npz:c8", "NumPy zip", "complex64", COMPLEX, 0 },
    { "stored.npz:f2", "NumPy zip", "float16", X, 0 },
    { "stored.npz:bool", "NumPy zip", "bool", OVER_100, 0 },
    { "deflated.npz:f4", "NumPy zip", "float32", X, 0 },
    { "deflated.npz:fortran", "NumPy zip", "float64", X, 0 },
    { "deflated.npz:u1", "NumPy zip", "uint8", TENS, 1 },
    { "deflated.npz:i2", "NumPy zip", "int16", TENS, 0 },
    { "deflated.npz:c8", "NumPy zip", "complex64", COMPLEX, 0 },
    { "deflated.npz:f2", "NumPy zip", "float16", X, 0 },
    { "deflated.npz:bool", "NumPy zip", "bool", OVER_100, 0 },
    { "plain.mat:x", "MATLAB 5", "float64", X, 0 },
    { "plain.mat:single", "MATLAB 5", "float32", X, 0 },
    { "plain.mat:u1", "MATLAB 5", "uint8", TENS, 1 },
    { "plain.mat:whole", "MATLAB 5", "float64", TENS, 0 },
    { "plain.mat:c", "MATLAB 5", "complex128", COMPLEX, 0 },
    { "packed.mat:x", "MATLAB 5", "float64", X, 0 },
    { "packed.mat:single", "MATLAB 5", "float32", X, 0 },
    { "packed.mat:u1", "MATLAB 5", "uint8", TENS, 1 },
    { "packed.mat:whole", "MATLAB 5", "float64", TENS, 0 },
    { "packed.mat:c", "MATLAB 5", "complex128", COMPLEX, 0 },
    { "x.pt:model.w", "PyTorch", "float32", X, 0 },
    { "x.pt:model.half", "PyTorch", "float16", X, 0 },
    { "x.pt:model.bf16", "PyTorch", "bfloat16", X, 0 },
    { "x.pt:model.double", "PyTorch", "float64", X, 0 },
    { "x.pt:model.u1", "PyTorch", "uint8", TENS, 1 },
    { "x.pt:model.c", "PyTorch", "complex64", COMPLEX, 0 },
    { "x.pt:model.turned", "PyTorch", "float32", X, 0 },
    { "x.pt:model.part", "PyTorch", "float32", X, 0 },
    { "x.pt:list.0.0", "PyTorch", "float32", X, 0 },
    { "bare.pt", "PyTorch", "float32", X, 0 },
    { "four.pt:x", "PyTorch", "float32", X, 0 },
    { "four.pt", "PyTorch", "float32", X, 0 },
    { "x.safetensors:F32", "safetensors", "float32", X, 0 },
    { "x.safetensors:F64", "safetensors", "float64", X, 0 },
    { "x.safetensors:F16", "safetensors", "float16", X, 0 },
    { "x.safetensors:C64", "safetensors", "complex64", COMPLEX, 0 },
    { "x.safetensors:I64", "safetensors", "int64", TENS, 0 },
    { "x.safetensors:U8", "safetensors", "uint8", TENS, 1 },
    { "gray", "pictures", "uint8", TENS, 1 },
    { "wide", "pictures", "uint16", TENS, 0 },
};

static const char *at(const char *name)
{
    static char path[4][256];
    static int k;
    char *p = path[k++ & 3];
    snprintf(p, sizeof path[0], "%s%s", dir, name);
    return p;
}

static const char *said(const fd_status *st)
{
    static char text[1100];
    fd_explain(st, text, sizeof text);
    return text;
}

static void good(fd_arena *mem)
{
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        fd_arena a = *mem;
        fd_real x[VALUES], y[VALUES];
        double z[VALUES];
        int pair = rows[r].rule == COMPLEX, n = 24 << pair, wide = !strcmp(rows[r].type, "uint16");
        source f = source_open(&a, at(rows[r].name));
        OK(!a.st->code, "%s: %s", rows[r].name, said(a.st));
        a.st->code = FD_OK;
        OK(f.format && !strcmp(f.format, rows[r].format) && !strcmp(f.type, rows[r].type),
           "%s: %s, %s", rows[r].name,
           f.format ? f.format : "", f.type ? f.type : "");
        OK(f.nd == 3 + pair && f.n[0] == 2 && f.n[1] == 3 && f.n[2] == 4 && (!pair || f.n[3] == 2),
           "%s: %d axes: %d %d %d",
           rows[r].name, f.nd, f.n[0], f.n[1], f.n[2]);
        OK(f.bytes == rows[r].bytes && f.complex == pair, "%s: bytes %d, complex %d", rows[r].name,
           f.bytes, f.complex);
        if (f.nd != 3 + pair || source_count(&f) != n) continue;
        source_read(&f, 0, 2, x, a);
        source_read(&f, 1, 1, y, a);
        source_doubles(&f, 0, 2, z, a);
        for (int i = 0; i < n; i++) {
            double want = value(rows[r].rule, i) * (wide ? 257 : 1);
            OK((double)x[i] >= want && (double)x[i] <= want && z[i] >= want && z[i] <= want
               && (i < n / 2 || (double)y[i - n / 2] >= want), "%s: number %d: %g, want %g",
               rows[r].name, i, z[i], want);
        }
        for (int from = 0; from < n && !f.files; from += 2) for (int m = 2; from + m <= n; m += 4) {
            source_some(&f, from, m, NULL, z, a);
            int same = 1;
            for (int i = 0; i < m; i++) same &= fabs(z[i] - value(rows[r].rule, from + i)) <= 0;
            OK(same, "%s: %d numbers from %d on", rows[r].name, m, from);
        }
        source_read(&f, 1, 2, x, a);
        OK(a.st->code == FD_EARG, "%s: read past its end", rows[r].name);
        a.st->code = FD_OK;
        source_close(&f);
    }
    fd_arena a = *mem;
    fd_real x[72];
    source f = source_open(&a, at("rgba"));
    OK(f.nd == 4 && f.n[0] == 2 && f.n[1] == 3 && f.n[2] == 4 && f.n[3] == 3, "rgba: %d axes",
       f.nd);
    source_read(&f, 1, 1, x, a);
    for (int i = 0; i < 12 && !a.st->code; i++) {
        int v = 10 * (12 + i);
        OK((int)x[3 * i] == v && (int)x[3 * i + 1] == 255 - v && (int)x[3 * i + 2] == v / 2,
           "rgba: pixel %d", i);
    }
    f = source_open(&a, at("jpeg"));
    source_read(&f, 0, 2, x, a);
    for (int i = 0; i < 24 && !a.st->code; i++)
        NEAR((double)x[i], 60 + 100 * (i / 12), 1, "jpeg, pixel %d", i);
    f = source_open(&a, at("x.pt:model.wide"));
    source_read(&f, 0, 2, x, a);
    for (int i = 0; i < 24 && !a.st->code; i++)
        NEAR((double)x[i], value(X, i % 12), 0, "expanded, number %d", i);
    source_close(&f);
    OK(!a.st->code, "%s", said(a.st));
    a.st->code = FD_OK;
}

/* what is listed beside what can be read, and lines that say what to do */
static const struct { const char *name, *text; } told_bad[] = {
    { "stored.npz", "holds several arrays: name one, as in tests/data/read/stored.npz:f4; it "
      "has words, f4" },
    { "stored.npz:words", "stored.npz: words: its type is not one of numbers" },
    { "stored.npz:none", "has no 'none'; it has words, f4, fortran" },
    { "x.npy:x", "has no 'x'; it has one array, without a name" },
    { "plain.mat:sparse", "sparse: write full(..) of it" },
    { "packed.mat:text", "text: it is not an array of numbers" },
    { "x.safetensors:F8", "F8: its type is not one that is read" },
    { "x.pt:model.no", "has no 'model.no'" },
    { "old.pt", "PyTorch's format before 1.6, which is not read: python3 -c \"import torch" },
    { "evil.pt", "refused: its pickle calls posix.system" },
    { "module.pt", "refused: its pickle calls torch.nn.modules.linear.Linear, and only "
      "tensors" },
    { "clear", "clear/0.png: it has transparent parts" },
    { "missing.npy", "missing.npy: No such file" },
};

static const struct { const char *name, *bytes; int n; const char *text; } told_made[] = {
    { "a.h5", "\x89HDF\r\n\x1a\n........", 16,
      "HDF5, which is not read: python3 -c \"import numpy, h5py" },
    { "a.nc", "\x89HDF\r\n\x1a\n........", 16,
      "netCDF 4, which is not read: python3 -c \"import numpy, netCDF4" },
    { "b.nc", "CDF\1....", 8,
      "netCDF, which is not read: python3 -c \"import numpy, scipy.io" },
    { "a.tif", "II*\0....", 8, "TIFF, which is not read: python3 -c \"import numpy, tifffile" },
    { "a.parquet", "PAR1....", 8,
      "Parquet, which is not read: python3 -c \"import numpy, pandas" },
    { "lfs.npy", "version https://git-lfs.github.com/spec/v1\n", 43, "git lfs pull" },
    { "page.idx", "\n <!DOCTYPE HTML><html>", 23, "a web page, which is not read" },
    { "a.json", "{\"a\": [1]}", 10,
      "JSON, which is not read: python3 -c \"import numpy, json" },
    { "w.index.json", "{\"a\": [1]}", 10, "an index of weights in several files" },
    { "a.pkl", "\x80\x04" "N.", 4, "a pickle of Python, which is not read: python3" },
    { "a.bz2", "BZh91AY", 7,
      "compressed by bzip2, which is not read: bunzip2 build/scratch/" },
    { "four.mat", "\0\0\0\0\1\0\0\0", 8, "MATLAB 4, perhaps" },
    { "none", "", 0, "it is empty" },
    { "a.csv", "x,y\n1,2\n3\n", 10, "a.csv: line 3, number 2: a number is missing" },
    { "b.csv", "1,2\n3,4,5\n", 10,
      "line 2, number 3: more numbers than in the lines before: '5'" },
    { "c.csv", "1,2\n3,NA\n", 9, "line 2, number 2: not a number: 'NA'" },
    { "d.csv", "1;2,5\n2;3\n", 10,
      "line 1, number 2: a comma in a number: write a point: '2,5'" },
    { "e.csv", ",a,b\n0,1,2\n", 11, "row or column numbers of pandas" },
    { "f.csv", "0,1,2\n5,6,7\n", 12, "row or column numbers of pandas" },
    { "g.csv", "1,0x10\n", 7, "line 1, number 2: not a number: '0x10'" },
    { "h.csv", "x,y\n", 4, "it has no line of numbers" },
};

static void told(fd_arena *mem)
{
    char name[64];
    for (size_t i = 0; i < sizeof told_bad / sizeof *told_bad; i++) {
        fd_arena a = *mem;
        fd_real x[72];
        source f = source_open(&a, at(told_bad[i].name));
        if (!a.st->code) source_read(&f, 0, 1, x, a);
        source_close(&f);
        OK(a.st->code && strstr(said(a.st), told_bad[i].text), "%s: '%s'", told_bad[i].name,
           said(a.st));
        a.st->code = FD_OK;
    }
    for (size_t i = 0; i < sizeof told_made / sizeof *told_made; i++) {
        fd_arena a = *mem;
        const char *path = test_path(told_made[i].name);
        FILE *f = fopen(path, "wb");
        size_t n = (size_t)told_made[i].n;
        OK(f && fwrite(told_made[i].bytes, 1, n, f) == n && !fclose(f), "%s", path);
        source_open(&a, path);
        OK(a.st->code == FD_EDATA && strstr(said(a.st), told_made[i].text), "%s: '%s'",
           told_made[i].name, said(a.st));
        a.st->code = FD_OK;
    }
    static const char *const types[] = { "f4", "=f4", "|f4", "<f4", "float32", "f", ">f4" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        int big;
        const read_type *t = npy_type(types[i], &big);
        OK(t && !strcmp(t->name, "float32") && big == (types[i][0] == '>'), "dtype %s", types[i]);
    }
    fd_arena a = *mem;
    for (source *f = source_list(&a, at("x.pt")); f; f = f->next) {
        if (f->data.map) read_unmap(f->data.map);
        OK(!f->why, "x.pt: %s: %s", f->member, f->why);
    }
    fd_tensors t = source_tensors(&a, at("x.pt:model"), 1);
    OK(t.others == 2 && !strcmp(t.other[1].name, "count") && !t.other[1].x
       && !strcmp(t.other[1].type, "int64: whole numbers"), "what is left out, %d", t.others);
    OK(t.count == 8 && !strcmp(t.tensor[0].name, "w") && t.tensor[0].nd == 3
       && !fd_tensor_find(&t, "count"), "%d tensors of x.pt:model", t.count);
    for (int i = 0; i < 24 && t.count; i++)
        NEAR((double)t.tensor[0].x[i], value(X, i), 0, "x.pt, w, number %d", i);
    t = source_tensors(&a, at("deflated.npz"), 1);
    OK(t.count == 4 && fd_tensor_find(&t, "c8") && fd_tensor_find(&t, "c8")->nd == 4,
       "%d tensors of deflated.npz", t.count);
    source *f = source_list(&a, at("x.safetensors"));
    OK(f && f->metas == 1 && !strcmp(f->meta[0].key, "key") && !strcmp(f->meta[0].value, "value\n"),
       "metadata");
    source_close(f);
    snprintf(name, sizeof name, "%s:x", test_path("colon:name.npz"));
    FILE *from = fopen(at("one.npz"), "rb"), *to = fopen(test_path("colon:name.npz"), "wb");
    for (int c; from && to && (c = getc(from)) != EOF; ) putc(c, to);
    OK(from && to && !fclose(from) && !fclose(to), "cannot copy one.npz");
    source g = source_open(&a, name);
    OK(!a.st->code && g.nd == 3, "a colon in a file's name: %s", said(a.st));
    source_close(&g);
    a.st->code = FD_OK;
}

/* text, of each kind of separator */
static void text(fd_arena *mem)
{
    static const struct { const char *bytes; int rows, cols; double x[6]; } good_[] = {
        { "1,2.5,-3e2\n4,5,6\n", 2, 3, { 1, 2.5, -300, 4, 5, 6 } },
        { "a,b\n1,2\n", 1, 2, { 1, 2 } },
        { "\xef\xbb\xbf\"a b\";\"c\"\r\n1;2\r\n\r\n3;4", 2, 2, { 1, 2, 3, 4 } },
        { "# numpy\n 1.5  2\n\t3 4 \n", 2, 2, { 1.5, 2, 3, 4 } },
        { "1\t2\n+3\t\"4\"\n", 2, 2, { 1, 2, 3, 4 } },
        { "7\n8\n9\n", 3, 1, { 7, 8, 9 } },
        { "1, 2\n", 1, 2, { 1, 2 } },
    };
    for (size_t r = 0; r < sizeof good_ / sizeof *good_; r++) {
        fd_arena a = *mem;
        double x[6];
        read_bytes b = { (const unsigned char *)good_[r].bytes, NULL, 0, strlen(good_[r].bytes) };
        source *f = source_list_of(&a, "text", b);
        OK(f && !a.st->code && f->nd == 2 && f->n[0] == good_[r].rows && f->n[1] == good_[r].cols
           && !strcmp(f->format, "text"),
           "text %d: %s", (int)r, said(a.st));
        if (f && !a.st->code) source_doubles(f, 0, f->n[0], x, a);
        for (int i = 0; f && !a.st->code && i < good_[r].rows * good_[r].cols; i++)
            NEAR(x[i], good_[r].x[i], 0, "text %d, number %d", (int)r, i);
        a.st->code = FD_OK;
    }
}

/* ---- Damage ---- */

static size_t slurp(const char *path, unsigned char *p, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(p, 1, room, f) : 0;
    if (f) fclose(f);
    return n;
}

/* read all that bytes say they hold; how many arrays could be read, and a sum that depends on every
 * number */
static int all_of(fd_arena a, const char *name, const unsigned char *p, size_t n, uint64_t *hash)
{
    read_bytes b = { p, NULL, 0, n };
    fd_status *st = a.st;
    int count = 0;
    *hash = 0;
    source *f = source_list_of(&a, name, b);
    if (st->code) f = NULL;
    for (; f; f = f->next) {
        fd_arena m = a;
        double x[64];
        if (f->why) continue;
        source_load(&m, f);
        ptrdiff_t all = st->code ? 0 : source_count(f), most = all < 4096 ? all : 4096;
        for (ptrdiff_t i = 0; i < most && !f->files && !st->code; i += 64) {
            ptrdiff_t k = most - i < 64 ? most - i : 64;
            source_some(f, i, k - k % 2 * (f->parts == 2), NULL, x, m);
            *hash = *hash * 31 + test_hash(x, (size_t)k * sizeof *x);
        }
        if (all > most && !f->files && !st->code) source_some(f, all - 2, 2, NULL, x, m);
        count += !st->code;
        st->code = FD_OK;
    }
    return count;
}

/* A deflate stream with a distance that there is not, code 30 of a fixed block: what it unpacks to
 * does not depend on what the memory held. */
static void no_distance(void)
{
    static const unsigned char stream[3 + READ_BEHIND] = { 0x03, 0x3e, 0x00 };
    static char mem[1 << 12];
    const read_bytes b = { stream, NULL, 0, sizeof stream };
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    memset(mem, 0xa5, sizeof mem);
    const read_bytes r = read_inflate(&a, "x", NULL, &b, READ_DEFLATE, 3);
    OK(r.p && !r.p[0] && !r.p[1] && !r.p[2], "bytes of the memory, not of the file: %s", said(&st));
}

/* Every byte cut off, and every byte changed: no crash (V=sanitize), and memory within a bound. */
static void damaged(void)
{
    static const char *const files[] = { "x.npy", "x.npy.gz", "one.npz", "x.idx", "x.idx.gz",
                                         "stored.npz", "deflated.npz",
        "plain.mat", "packed.mat", "x.pt", "bare.pt", "four.pt", "evil.pt", "module.pt", "old.pt",
        "x.safetensors" };
    static const int change[] = { 1, 0x80, 0xff, 0x5a };
    static unsigned char whole[8192], cut[8192];
    fd_status st;
    fd_arena a = test_arena(MEM, &st);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t n = slurp(at(files[i]), whole, sizeof whole), least = SIZE_MAX;
        uint64_t want, got;
        int arrays = all_of(a, files[i], whole, n, &want), fewer = 0, refused = 0;
        OK(n > 0 && n < sizeof whole, "%s: %d bytes", files[i], (int)n);
        for (size_t k = 0; k < n; k++) {
            unsigned char *p = malloc(k ? k : 1);       /* so that reading past its end is seen */
            if (!p) { printf("test: no memory\n"); exit(1); }
            memcpy(p, whole, k);
            st.code = FD_OK;
            int now = all_of(a, files[i], p, k, &got);
            fewer += now < arrays || !arrays;
            free(p);
        }
        OK(fewer == (int)n, "%s: %d of %d cut files lost nothing", files[i], (int)n - fewer,
           (int)n);
        for (size_t k = 0; k < n; k++) for (size_t c = 0; c < sizeof change / sizeof *change; c++) {
            memcpy(cut, whole, n);
            cut[k] ^= (unsigned char)change[c];
            st.code = FD_OK;
            st.low = st.size;
            int now = all_of(a, files[i], cut, n, &got);
            refused += now < arrays || got != want;
            if (st.low < least) least = st.low;
        }
        OK(arrays == 0 || refused > (int)n, "%s: %d of %d changes are seen", files[i], refused,
           (int)(4 * n));
        OK(st.size - least < (1 << 20) + 2 * READ_FIRST + 1100 * n, "%s: %d bytes of memory for %d",
           files[i],
           (int)(st.size - least), (int)n);
    }
    /* Each checksum is looked at: changes within the data of these are all seen. */
    static const struct { const char *name; int from, to; } sums[] = {
        { "x.npy.gz", 10, 168 }, { "x.idx.gz", 10, 63 }, { "one.npz", 40, 190 },
        { "stored.npz", 180, 320 } };
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        uint64_t want, got;
        size_t n = slurp(at(sums[i].name), whole, sizeof whole);
        int arrays = all_of(a, "", whole, n, &want), missed = 0;
        for (int k = sums[i].from; k < sums[i].to; k++) {
            memcpy(cut, whole, n);
            cut[k] ^= 4;
            st.code = FD_OK;
            missed += all_of(a, "", cut, n, &got) == arrays && got != want;
        }
        OK(!missed, "%s: %d changes of its data are not seen", sums[i].name, missed);
    }
    st.code = FD_OK;
}

/* A file of a picture, every byte of it cut off, and changed. */
static void damaged_picture(fd_arena *mem, const char *name)
{
    static unsigned char whole[4096], cut[4096];
    const char *path = test_path(strstr(name, "JPG") ? "one.jpg" : "one.png");
    size_t n = slurp(at(name), whole, sizeof whole), least = SIZE_MAX;
    int refused = 0, cuts = 0;
    for (size_t k = 0; k < 3 * n; k++) {
        fd_arena a = *mem;
        size_t len = k < n ? k : n;
        double x[192];
        memcpy(cut, whole, n);
        if (k >= n) cut[k % n] ^= k < 2 * n ? 0x80 : 0xff;
        FILE *f = fopen(path, "wb");
        int wrote = f && fwrite(cut, 1, len, f) == len && !fclose(f);
        if (!wrote) { OK(0, "cannot write %s", path); return; }
        a.st->low = a.st->size;
        source s = source_open(&a, path);
        if (!a.st->code && source_slab(&s) <= 192) source_doubles(&s, 0, 1, x, a);
        source_close(&s);
        cuts += k < n && a.st->code;
        refused += a.st->code != FD_OK;
        a.st->code = FD_OK;
        if (a.st->low < least) least = a.st->low;
    }
    OK(cuts > (int)n / 2 && refused > (int)n / 2, "%s: %d of %d cut ones, %d bad ones refused",
       name, cuts, (int)n, refused);
    OK(mem->st->size - least < (3 << 20) + 64 * n, "%s: %d bytes of memory", name,
       (int)(mem->st->size - least));
}

/* Pictures, through files: every byte cut off, and changed; and a JPEG with more codes than
 * stb_image has room for. */
static void pictures(fd_arena *mem)
{
    static const char *const files[] = { "gray/0.png", "rgb/1.png", "rgba/0.png", "wide/0.png",
                                         "jpeg/0.JPG" };
    static unsigned char whole[4096], cut[4096];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) damaged_picture(mem, files[i]);
    static const unsigned char start[] = { 0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc4, 0, 40,
                                           0 };
    memcpy(cut, start, sizeof start);
    memset(cut + sizeof start, 0xff, 16);
    memset(cut + sizeof start + 16, 0, 64);
    FILE *f = fopen(test_path("codes.jpg"), "wb");
    OK(f && fwrite(cut, 1, 93, f) == 93 && !fclose(f), "cannot write codes.jpg");
    fd_arena a = *mem;
    size_t n = slurp(at("jpeg/0.JPG"), whole, sizeof whole);       /* its tables become comments */
    for (size_t k = 0; k + 1 < n; k++)
        if (whole[k] == 0xff && whole[k + 1] == 0xc4) whole[k + 1] = 0xfe;
    f = fopen(test_path("bare.jpg"), "wb");
    OK(f && fwrite(whole, 1, n, f) == n && !fclose(f), "cannot write bare.jpg");
    fd_show(a.beg, 1 << 20);
    memset(a.beg, 0xff, 1 << 20);
    source none = source_open(&a, test_path("bare.jpg"));
    double x[12];
    source_doubles(&none, 0, 1, x, a);
    OK(a.st->code == FD_OK || a.st->code == FD_EDATA, "a JPEG without tables: %s", said(a.st));
    source_close(&none);
    a.st->code = FD_OK;
    source_open(&a, test_path("codes.jpg"));
    OK(strstr(said(a.st), "codes.jpg: damaged: its codes or pixels are none") != NULL,
       "codes.jpg: %s", said(a.st));
    a.st->code = FD_OK;
    n = slurp(at("gray/0.png"), whole, sizeof whole);              /* no pixels in its first part */
    memmove(whole + 33 + 12, whole + 33, n - 33);
    memcpy(whole + 33, "\0\0\0\0IDAT\x35\xaf\x06\x1e", 12);
    f = fopen(test_path("empty.png"), "wb");
    OK(f && fwrite(whole, 1, n + 12, f) == n + 12 && !fclose(f), "cannot write empty.png");
    source_open(&a, test_path("empty.png"));
    OK(strstr(said(a.st), "empty.png: damaged") != NULL, "empty.png: %s", said(a.st));
    a.st->code = FD_OK;
}

/* The arena starved: FD_ENOMEM or the right numbers. */
static void starved(fd_arena *mem)
{
    static const char *const names[] = { "x.npy", "x.npy.gz", "deflated.npz:c8", "packed.mat:c",
                                         "x.pt:model.turned", "x.safetensors:F64", "gray" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int worked = 0, other = 0;
        for (size_t size = 0; size < 1 << 21; size += size / 16 + 64) {
            fd_status st;
            fd_arena a = fd_arena_over(mem->beg, size, &st);
            fd_real x[VALUES];
            source f = source_open(&a, at(names[i]));
            if (!st.code) source_read(&f, 0, 1, x, a);
            source_close(&f);
            worked += !st.code;
            other += st.code && st.code != FD_ENOMEM;
            if (st.code && st.code != FD_ENOMEM && other == 1)
                OK(0, "%s: %d bytes: %s", names[i], (int)size, said(&st));
        }
        OK(worked > 2, "%s: never", names[i]);
    }
}

/* ---- Lies ---- */

static size_t put(unsigned char *to, size_t at_, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) to[at_ + (size_t)i] = (unsigned char)(v >> 8 * i);
    return at_ + (size_t)bytes;
}

/* a zip of stored files; sizes that lie: more */
static size_t zip_of(unsigned char *out, int count, const char *const name[],
                     const void *const data[], const size_t len[],
                     int method, uint64_t claim)
{
    size_t k = 0, place[4] = { 0 }, dir_ = 0;
    for (int e = 0; e < 2 * count; e++) {
        int i = e % count, central = e >= count;
        if (e == count) dir_ = k;
        if (!central) place[i] = k;
        k = put(out, k, central ? 0x02014b50 : 0x04034b50, 4);
        if (central) k = put(out, k, 20, 2);
        k = put(out, k, 20, 2);
        k = put(out, k, 0, 2);
        k = put(out, k, (uint64_t)method, 2);
        k = put(out, k, 0, 4);
        k = put(out, k, read_crc(0, data[i], len[i]), 4);
        k = put(out, k, len[i], 4);
        k = put(out, k, claim ? claim : len[i], 4);
        k = put(out, k, strlen(name[i]), 2);
        k = put(out, k, 0, 2);
        if (central) { k = put(out, k, 0, 8); k = put(out, k, 0, 2); k = put(out, k, place[i], 4); }
        memcpy(out + k, name[i], strlen(name[i]));
        k += strlen(name[i]);
        if (!central) { memcpy(out + k, data[i], len[i]); k += len[i]; }
    }
    size_t end = k;
    k = put(out, k, 0x06054b50, 4);
    k = put(out, k, 0, 4);
    k = put(out, k, (uint64_t)count, 2);
    k = put(out, k, (uint64_t)count, 2);
    k = put(out, k, end - dir_, 4);
    k = put(out, k, dir_, 4);
    return put(out, k, 0, 2);
}

/* What is read, and parts of it. */
static unsigned char file[1 << 21], data[1 << 20];

/* What is wrong with the first n bytes of file; f lists them. */
static const char *fault_of(size_t n, source **f, fd_arena *m)
{
    m->st->code = FD_OK;
    *f = source_list_of(m, "lie", (read_bytes){ file, NULL, 0, n });
    if (*f && !m->st->code && !(*f)->why) source_load(m, *f);
    return m->st->code ? said(m->st) : *f && (*f)->why ? (*f)->why : "";
}

static void lies_pickles(fd_arena a)
{
    const char *why;
    source *f;
#define BYTES(text) text, sizeof(text) - 1
    static const struct { const char *text; size_t n; const char *why; } pickles[] = {
        { BYTES("\x80\x02" "cos\nsystem\nX\1\0\0\0x\x85R."), "calls os.system" },
        { BYTES("\x80\x02" "cos\nsystem\n."), "holds no tensor" },
        { BYTES("\x80\x02" "cmy\nThing\n)\x81}b."), "calls my.Thing" },
        { BYTES("\x80\x02(imy\nThing\n."), "instruction 105" },
        { BYTES("\x80\x02]q\0h\0a."), "nested too deeply" },
        { BYTES("\x80\x02" "0."), "the stack is empty" },
        { BYTES("\x80\x02" "N"), "cut short" },
        { BYTES("\x80\x02h\5."), "no such place" },
        { BYTES("\x80\x02Xzzzz"), "cut short" },
        { BYTES("\x80\x02}NN"), "cut short" },
        { BYTES("\x80\x02" "e."), "a mark is missing" },
        { BYTES("\x80\x02" "NQ."), "no storage" },
        { BYTES("\x80\x02" "NNR."), "without arguments" },
        { BYTES("\x80\x02" "N)R."), "calls what is not a function" },
        { BYTES("\x80\x02" "ctorch._utils\n_rebuild_tensor_v2\n)R."), "no tensor" },
        { BYTES("\x80\x02" "ctorch._utils\n_rebuild_parameter\n)R."),
          "calls torch._utils._rebuild_parameter" },
        { BYTES(""), "cut short" },
    };
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
        const char *const name[] = { "a/data.pkl" };
        const void *const d[] = { pickles[i].text };
        size_t n = zip_of(file, 1, name, d, &pickles[i].n, 0, 0);
        fd_arena m = a;
        why = fault_of(n, &f, &m);
        OK(strstr(why, pickles[i].why), "pickle %d: '%s'", (int)i, why);
    }
}

/* Views that reach out of their storage, and shapes that overflow. */
static void lies_views(fd_arena a)
{
    const char *why;
    source *f;
    static const struct { int32_t offset, n, step; const char *why; } views[] = {
        { 0, 3, 1, "" }, { 1, 2, 1, "" }, { 0, 2, 2, "" }, { 1, 3, 1, "reaches out" },
        { 3, 1, 1, "reaches out" }, { 0, 3, 2, "reaches out" }, { 0, 2147483647, 0, "" },
        { 0, 2147483647, 2147483647, "reaches out" }, { 2147483647, 1, 1, "reaches out" },
        { -1, 1, 1, "no tensor" }, { 0, -1, 1, "no tensor" }, { 0, 1, -1, "no tensor" },
        { 5, 0, 1, "" } };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        static const char *const name[] = { "a/data.pkl", "a/data/0" };
        const void *const d[] = { data, "\0\0\x80?\0\0\0@\0\0@@" };
        static const char head[] = "\x80\x02" "ctorch._utils\n_rebuild_tensor_v2\n"
                                   "((X\7\0\0\0storagectorch\nFloatStorage\n"
                                   "X\1\0\0\0" "0X\3\0\0\0cpuK\3tQ";
        size_t k = sizeof head - 1;
        memcpy(data, head, k);
        data[k++] = 'J'; k = put(data, k, (uint32_t)views[i].offset, 4);
        data[k++] = 'J'; k = put(data, k, (uint32_t)views[i].n, 4); data[k++] = 0x85;
        data[k++] = 'J'; k = put(data, k, (uint32_t)views[i].step, 4); data[k++] = 0x85;
        memcpy(data + k, "tR.", 3);
        size_t n = zip_of(file, 2, name, d, (size_t[]){ k + 3, 12 }, 0, 0);
        fd_arena m = a;
        why = fault_of(n, &f, &m);
        OK(*views[i].why ? strstr(why, views[i].why) != NULL : !*why, "view %d: '%s'", (int)i, why);
        double x[3];
        if (!a.st->code && f && !f->why && f->n[0]) {
            source_some(f, f->n[0] - 1, 1, NULL, x, m);
            int last = views[i].offset + (views[i].n - 1) * views[i].step;
            NEAR(x[0], last + 1, 0, "view %d", (int)i);
        }
    }
}

/* Lists of lists of lists ..., each twice in the next: 2^40 names. */
static void lies_nested(fd_arena a)
{
    const char *why;
    source *f;
    size_t k = 0;
    data[k++] = 0x80; data[k++] = 2;
    data[k++] = ']'; data[k++] = 'q'; data[k++] = 0;
    for (int i = 1; i < 40; i++) {
        data[k++] = '0';
        memcpy(data + k, "](h", 3); k += 3; data[k++] = (unsigned char)(i - 1);
        data[k++] = 'h'; data[k++] = (unsigned char)(i - 1); data[k++] = 'e';
        data[k++] = 'q'; data[k++] = (unsigned char)i;
    }
    data[k++] = '.';
    static const char *const name[] = { "data.pkl" };
    const void *const d[] = { data };
    fd_arena m = a;
    size_t n = zip_of(file, 1, name, d, &k, 0, 0);
    why = fault_of(n, &f, &m);
    OK(strstr(why, "too often") != NULL, "2^40 names: '%s'", why);
}

static void lies_zips(fd_arena a)
{
    const char *why;
    source *f;
    /* a zip that says it unpacks to 4 GB, and one that may */
    static const char *const one[] = { "x.npy" };
    const void *const body[] = { data };
    memset(data, 0, sizeof data);
    fd_arena m = a;
    size_t n = zip_of(file, 1, one, body, (size_t[]){ 100 }, 8, 0xfffffff0);
    why = fault_of(n, &f, &m);
    OK(*why, "a zip of 4 GB: '%s'", why);
    /* deflated for real, and larger than the memory */
    a.st->code = FD_OK;
    n = slurp(at("deflated.npz"), file, sizeof file);
    fd_status few;
    static char small[1 << 15];
    fd_arena little = fd_arena_over(small, sizeof small, &few);
    source_list_of(&little, "deflated.npz", (read_bytes){ file, NULL, 0, n });
    OK(few.code == FD_ENOMEM, "32 KB for deflated.npz: %s", said(&few));
}

static void lies_npy(fd_arena a)
{
    const char *why;
    source *f;
    static const struct { const char *head, *why; } npys[] = {
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2147483647, 2147483647, 2147483647), "
          "}", "shorter" },
        { "{'descr': '', 'fortran_order': False, 'shape': (1,), }", "not one of numbers" },
        { "{'descr': '<', 'fortran_order': False, 'shape': (1,), }", "not one of numbers" },
        { "{'descr': '<f4', 'fortran_order': True, 'shape': (2147483647, 0, 2147483647, "
          "2147483647), }", "shorter" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 1), }", "too large" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1), }",
          "more than 6" },
        { "{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1), }",
          "more than 5" },
        { "{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,), }",
          "not one of numbers" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "not one of numbers" },
        { "{'descr': '<f4', 'shape': (1,), }", "malformed" },
        { "{'descr': '<f4', 'fortran_order': False, 'fortran_order': False, 'shape': (1,), }",
          "malformed" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", "" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "" },
    };
    for (size_t i = 0; i < sizeof npys / sizeof *npys; i++) {
        size_t len = strlen(npys[i].head);
        fd_arena m = a;
        memcpy(file, "\x93NUMPY\1\0", 8);
        put(file, 8, len, 2);
        memcpy(file + 10, npys[i].head, len);
        memset(file + 10 + len, 0, 8);
        why = fault_of(18 + len, &f, &m);
        OK(*npys[i].why ? strstr(why, npys[i].why) != NULL : !*why, ".npy %d: '%s'", (int)i, why);
    }
}

/* What a header of .safetensors takes of memory. */
static void lies_sizes(fd_arena a)
{
    const char *why;
    source *f;
    fd_arena m;
    /* .safetensors: a million colons, a hundred thousand tensors without data */
    memset(file, ':', 1 << 20);
    put(file, 0, (1 << 20) - 8, 8);
    file[8] = '{';
    m = a;
    a.st->low = a.st->size;
    why = fault_of(1 << 20, &f, &m);
    OK(strstr(why, "not the JSON") && a.st->size - a.st->low < 3 << 20,
       "a million colons: %s, %d bytes", why, (int)(a.st->size - a.st->low));
    size_t k = 8;
    for (int i = 0; i < 20000; i++)
        k += (size_t)sprintf((char *)file + k,
                             "%c\"%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                             i ? ',' : '{', i);
    file[k++] = '}';
    put(file, 0, k - 8, 8);
    m = a;
    a.st->low = a.st->size;
    why = fault_of(k, &f, &m);
    OK(!*why && a.st->size - a.st->low < 16 * k, "20000 empty tensors: '%s', %d bytes for %d", why,
       (int)(a.st->size - a.st->low), (int)k);
}

static void lies_safe(fd_arena a)
{
    const char *why;
    source *f;
    static const struct { const char *text, *why; } safe[] = {
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}", "twice" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "not the JSON" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "shorter" },
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]}}", "goes on after" },
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[1,4]}}", "hole" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}",
          "too large" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,2147483647,2147483647,2147483647],"
          "\"data_offsets\":[0,0]}}", "goes on after" },
        { "{\"\\u00e9\\ud83d\\ude00\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
          "" },
        { "{\"\\ud83d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
          "not the JSON" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} x", "not the JSON" },
        { "{}", "goes on after" },
        { "{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\",\"e\":\"5\"},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "" },
        { "{\"a", "not the JSON" }, { "{\"a\\", "not the JSON" },     /* the end is not passed */
        { "{\"\\ud800", "not the JSON" }, { "{\"\\ud800\\", "not the JSON" },
    };
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
        size_t len = strlen(safe[i].text);
        fd_arena m = a;
        put(file, 0, len, 8);
        memcpy(file + 8, safe[i].text, len);
        memset(file + 8 + len, 0, 4);
        why = fault_of(12 + len, &f, &m);
        OK(*safe[i].why ? strstr(why, safe[i].why) != NULL : !*why, ".safetensors %d: '%s'", (int)i,
           why);
        if (i == 12)
            OK(f && f->metas == 5 && !strcmp(f->meta[0].value, "1") && !strcmp(f->meta[4].key, "e"),
               "metadata");
        if (i == 8 && f)
            OK(!strcmp(f->member, "\xc3\xa9\xf0\x9f\x98\x80"), "escapes: %s", f->member);
    }
}

/* A PNG that says 16384 x 16384 pixels, in 60 bytes. */
static void lies_png(fd_arena a)
{
    fd_arena m;
    const char *path = test_path("large.png");
    size_t len = slurp(at("gray/0.png"), file, sizeof file);
    memcpy(file + 16, "\0\0\x40\0\0\0\x40\0", 8);
    FILE *to = fopen(path, "wb");
    OK(to && fwrite(file, 1, len, to) == len && !fclose(to), "%s", path);
    m = a;
    a.st->code = FD_OK;
    source g = source_open(&m, path);
    ptrdiff_t size = a.st->code ? 0 : source_slab(&g);
    OK(size == 16384 * 16384, "%s: %s", path, said(a.st));
    double none[1];
    a.st->low = a.st->size;
    fd_arena room = m;
    source_doubles(&g, 0, 1, none, room);
    OK(a.st->code && !strstr(said(a.st), "(null)"), "a PNG without its pixels: %s", said(a.st));
    source_close(&g);
}

static void lies(void)
{
    fd_status st;
    fd_arena a = test_arena(MEM, &st);
    lies_pickles(a);
    lies_views(a);
    lies_nested(a);
    lies_zips(a);
    lies_npy(a);
    lies_sizes(a);
    lies_safe(a);
    lies_png(a);
    st.code = FD_OK;
}

/* the weights in files of which one byte was changed: some, or an error */
static void weights(fd_arena a)
{
    static const char *const files[] = { "plain.mat", "packed.mat", "x.npy", "x.idx" };
    static unsigned char whole[4096];
    const char *path = test_path("hurt");
    fd_status *st = a.st;
    for (int i = 0; i < 4; i++) {
        const size_t n = slurp(at(files[i]), whole, sizeof whole);
        int refused = 0;
        for (size_t k = 0; k < n; k += n < 1000 ? 1 : 3) {
            fd_arena m = a;
            FILE *f = fopen(path, "wb");
            whole[k] ^= 0xda;
            if (!f || fwrite(whole, 1, n, f) != n || fclose(f)) { OK(0, "cannot write"); return; }
            whole[k] ^= 0xda;
            const fd_tensors t = source_tensors(&m, path, 1);
            refused += st->code != 0;
            for (int j = 0; j < t.count && !st->code; j++)
                if (!t.tensor[j].x) OK(0, "%s, byte %d: no numbers", files[i], (int)k);
            st->code = FD_OK;
        }
        OK(refused > 10, "%s: %d changes refused", files[i], refused);
    }
    remove(path);
}

void test_read(void)
{
    fd_status st;
    fd_arena a = test_arena(MEM, &st);
    good(&a);
    told(&a);
    text(&a);
    pictures(&a);
    starved(&a);
    fd_arena_over(a.beg, MEM, &st);
    no_distance();
    damaged();
    weights(a);
    lies();
}
