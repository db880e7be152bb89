/* fuzz.c -- readers and parsers under libFuzzer: make fuzz. FUZZ=name chooses one of the targets
 * below; an input is the bytes of one file, or the words of one command line.
 *
 * The library opens its file as usual: the linker puts __wrap_fopen in the place of fopen
 * (-Wl,--wrap=fopen,--wrap=fclose), which gives the bytes of the input for one name. What the tool
 * maps must be a file: it is in /dev/shm. Where the tool ends by exit(), the target ends, and what
 * it had open is closed. */
#define exit fuzz_exit                     /* which stdlib.h then declares */
#include "common.h"
#include "posterior.h"
#include "client.h"
#undef exit
#include <fcntl.h>
#include <setjmp.h>

static jmp_buf fuzz_end;
void fuzz_exit(int status)
{
    (void)status;
    longjmp(fuzz_end, 1);
}

#define FUZZ_FILE "the input of the fuzzer"
static const unsigned char *fuzz_bytes;
static size_t fuzz_size;
static FILE *fuzz_file;                   /* of them, while it is open */
static unsigned char mem[8 << 20];

int __real_fclose(FILE *f);
int __wrap_fclose(FILE *f);
int __wrap_fclose(FILE *f)
{
    if (f == fuzz_file) fuzz_file = NULL;
    return __real_fclose(f);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (strcmp(path, FUZZ_FILE)) return __real_fopen(path, mode);
    return fuzz_file = fmemopen((void *)(uintptr_t)fuzz_bytes, fuzz_size, "rb");
}

/* What cannot be is an error that the fuzzer sees. */
static void must(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

static volatile double fuzz_sum;
static void look(ptrdiff_t n, const fd_real *x)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += (double)x[i];
    fuzz_sum = sum;
}

/* ---- The library's files --------------------------------------------------------------------- */

static void array(const fd_arena *before, const fd_array *f, const fd_arena *after)
{
    const fd_status *st = before->st;
    ptrdiff_t n = 1;
    must(!st->code == !!f->x, "an array and an error, or neither");
    must(!st->code || before->beg == after->beg, "a failure that keeps memory");
    for (int i = 0; i < f->nd; i++) n *= f->n[i];
    if (f->x) look(n, f->x);
}

static void load_npy(fd_arena a)
{
    fd_arena before = a;
    fd_array f = fd_npy_load(&a, FUZZ_FILE);
    array(&before, &f, &a);
}

static void load_idx(fd_arena a)
{
    fd_arena before = a;
    fd_array f = fd_idx_load(&a, FUZZ_FILE);
    array(&before, &f, &a);
}

static void load_either(fd_arena a)
{
    fd_arena before = a;
    fd_array f = fd_load(&a, FUZZ_FILE);
    array(&before, &f, &a);
}

static fd_tensors tensors(fd_arena *a)
{
    fd_arena before = *a;
    fd_tensors f = fd_tensors_load(a, FUZZ_FILE);
    must(!a->st->code || (!f.tensor && !f.count && !f.metas && !f.others && a->beg == before.beg),
         "a failure that keeps something");
    for (int i = 0; i < f.count; i++) {
        ptrdiff_t n = 1;
        for (int d = 0; d < f.tensor[i].nd; d++) n *= f.tensor[i].n[d];
        look(n, f.tensor[i].x);
        fuzz_sum += (double)strlen(f.tensor[i].name) + (double)strlen(f.tensor[i].type);
    }
    for (int i = 0; i < f.others; i++)
        fuzz_sum += (double)strlen(f.other[i].name) + (double)strlen(f.other[i].type);
    for (int i = 0; i < f.metas; i++)
        fuzz_sum += (double)strlen(f.meta[i].key) + (double)strlen(f.meta[i].value);
    return f;
}

static void load_tensors(fd_arena a) { tensors(&a); }

/* the input is the header of a .safetensors without its length */
static void load_json(fd_arena a)
{
    unsigned char *p = malloc(fuzz_size + 8);
    if (!p) return;
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)((uint64_t)fuzz_size >> 8 * i);
    memcpy(p + 8, fuzz_bytes, fuzz_size);
    fuzz_bytes = p;
    fuzz_size += 8;
    tensors(&a);
    free(p);
}

/* The network is used once, if it is small. */
static void use(const fd_net *net, fd_arena a)
{
    const fd_arch *h = &net->arch;
    int n[3] = { 1, 1, 1 };
    for (int i = 0; i < h->nd; i++) n[i] = h->nd == 1 ? 8 : h->nd == 2 ? 6 : 4;
    if (h->kind == FD_UVIT) for (int i = 0; i < h->nd; i++) n[i] = h->grid[i] ? h->grid[i] : n[i];
    const double cost = (double)n[0] * n[1] * n[2];
    if (net->count > 20000 || cost > 256 || h->layers > 8) return;
    fd_space s = fd_grid(&a, h->nd, n, NULL, NULL, h->in);
    fd_real *x = fd_new(&a, fd_real, s.points * h->in);
    if (!x) return;
    for (ptrdiff_t i = 0; i < s.points * h->in; i++) x[i] = (fd_real)(i % 7) - 3;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, (int[]){ 1, h->in, (int)s.points }, x),
                           (double[]){ .5 });
    if (y) look(fd_count(y), y->x);
    fd_tape_end(&t);
}

static void load_net(fd_arena a)
{
    fd_arena before = a;
    fd_net *net = NULL;
    fd_opt *opt = NULL;
    fd_tensors f = fd_net_load(&a, FUZZ_FILE, &net, &opt);
    must(!a.st->code == !!net, "a network and an error, or neither");
    must(!a.st->code || (!opt && !f.count && a.beg == before.beg),
         "a failure that keeps something");
    if (net) use(net, a);
    if (opt) fd_opt_step(opt, net, a.st);
}

/* the last 16 bytes say what the file does not */
static void load_foreign(fd_arena a)
{
    if (fuzz_size < 32) return;
    const unsigned char *c = fuzz_bytes + (fuzz_size -= 16);
    fd_foreign how;
    memset(&how, 0, sizeof how);
    how.act = c[0] % 9 - 1;
    how.coords = c[1] % 6 - 1;
    how.time = c[2] % 6 - 1;
    how.reversed = c[3] & 1;
    how.version = c[4] % 4;
    how.norms = c[5] % 8 - 2;
    how.skip = c[6] % 4 - 1;
    how.mix_skip = c[7] % 4 - 1;
    for (int i = 0; i < 3; i++) {
        how.modes[i] = c[8] & 1 ? (int8_t)c[9 + i] : 0;
        how.grid[i] = c[8] & 2 ? (int8_t)c[9 + i] : 0;
        how.pad[i] = c[8] & 4 ? (int8_t)c[12 + i] / 16.0 : 0;
        how.from[i] = c[8] & 8 ? (int8_t)c[12] : 0;
        how.to[i] = c[8] & 8 ? (int8_t)c[13] : 0;
    }
    how.heads = (int8_t)c[15];
    fd_tensors f = tensors(&a);
    if (a.st->code) return;
    must(fd_foreign_kind(&f) >= 0 && fd_foreign_kind(&f) < FD_FOREIGN, "kind");
    fd_net *net = fd_net_from(&a, &f, &how);
    must(!a.st->code == !!net, "a network and an error, or neither");
    if (net) use(net, a);
}

/* ---- The tool's files ------------------------------------------------------------------------ */

static void all_of(fd_arena a, source *f)
{
    char said[1200];
    fd_status *st = a.st;
    fd_explain(st, said, sizeof said);
    if (st->code) f = NULL;
    for (int count = 0; f && count < 64; f = f->next, count++) {
        fd_arena m = a;
        double x[64];
        if (f->why) continue;
        source_load(&m, f);
        ptrdiff_t all = st->code ? 0 : source_count(f), most = all < 4096 ? all : 4096;
        if (f->files && all && all <= 1 << 18) {
            double *y = fd_raw(&m, double, all);
            if (y) source_doubles(f, 0, 1, y, m);
        }
        for (ptrdiff_t i = 0; i < most && !f->files && !st->code; i += 64) {
            ptrdiff_t k = most - i < 64 ? most - i : 64;
            source_some(f, i, k - k % 2 * (f->parts == 2), NULL, x, m);
        }
        if (all > most && !f->files && !st->code) source_some(f, all - 2, 2, NULL, x, m);
        st->code = FD_OK;
    }
}

static void tool_read(fd_arena a)
{
    read_bytes b = { fuzz_bytes, NULL, 0, fuzz_size };
    source *f = source_list_of(&a, "input", b);
    all_of(a, f);
}

static char fuzz_path[64];
static void off_disk(void) { remove(fuzz_path); }

/* the input as a file, which stays to be written anew */
static const char *on_disk(void)
{
    static int fd = -1;
    if (fd < 0) {
        snprintf(fuzz_path, sizeof fuzz_path, "/dev/shm/fuzz-%ld.png", (long)getpid());
        fd = open(fuzz_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        atexit(off_disk);
    }
    must(!ftruncate(fd, (off_t)fuzz_size)
         && pwrite(fd, fuzz_bytes, fuzz_size, 0) == (ssize_t)fuzz_size, "/dev/shm is full");
    return fuzz_path;
}

static void tool_tensors(fd_arena a)
{
    source_tensors(&a, on_disk(), 1);
}

static void tool_picture(fd_arena a)
{
    source *list = source_list(&a, on_disk());
    all_of(a, list);
    source_close(list);
}

/* The first byte is the number of axes and channels, the rest a table of observations. */
static void tool_obs(fd_arena a)
{
    problem q = { .k = NULL };
    if (!fuzz_size) return;
    const int first = *fuzz_bytes++;
    fuzz_size--;
    q.s = fd_grid(&a, 1 + first % 3, (int[]){ 5, 4, 3 }, NULL, NULL, 1 + first / 3 % 2);
    if (!setjmp(fuzz_end)) {
        obs_csv(&a, &q, FUZZ_FILE, .1);
        must(!a.st->code && q.o.m > 0, "no observations, and no word of it");
        for (int i = 0; i < q.o.m; i++) fuzz_sum += q.y[i];
    }
    if (fuzz_file) fclose(fuzz_file);
}

static void values_look(const value *v)
{
    if (v->text) fuzz_sum += (double)strlen(v->text);
    for (const value *m = v->first; m; m = m->next) {
        must(v->members != '{' || m->key, "a value of an object that has no name");
        values_look(m);
    }
}

/* JSON, as fd conform reads it. */
static void tool_values(fd_arena a)
{
    char *text = fd_raw(&a, char, fuzz_size + 1);
    if (!text) return;
    memcpy(text, fuzz_bytes, fuzz_size);
    text[fuzz_size] = 0;
    json j = { text, 0 };
    const value *v = value_read(&a, &j, 0);
    must(!v == (j.bad || a.st->code), "a value and an error, or neither");
    must(j.p >= text && j.p <= text + fuzz_size, "read behind the end");
    if (v) values_look(v);
}

/* ---- The tool's words ------------------------------------------------------------------------ */

/* the first byte is the command, lines are words */
static void tool_options(fd_arena a)
{
    static args o;
    char *text = fd_raw(&a, char, fuzz_size + 1), *argv[64];
    int argc = 0, commands = 0;
    if (!text || !fuzz_size) return;
    memcpy(text, fuzz_bytes, fuzz_size);
    text[fuzz_size] = 0;
    while (ALL >> commands) commands++;
    const int command = 1 << (text[0] & 31) % commands;
    for (char *p = strchr(text, '\n'); p && argc < 64; p = strchr(p, '\n'))
        *p++ = 0, argv[argc++] = p;
    memset(given, 0, sizeof given);
    if (!setjmp(fuzz_end)) options_read(&o, command, "fd help", argc, argv);
}

/* the first byte is the topic, the rest a spec: its text again gives the same numbers */
static void tool_spec(fd_arena a)
{
    char *text = fd_raw(&a, char, fuzz_size + 1), again[512];
    if (!text || !fuzz_size) return;
    memcpy(text, fuzz_bytes, fuzz_size);
    text[fuzz_size] = 0;
    const topic *t = topics[(unsigned char)text[0] % COUNT(topics)];
    if (t == &t_scheme) return;                       /* its names are filled in by options_read */
    if (setjmp(fuzz_end)) return;
    spec s = spec_read(t, "--x", text + 1);
    must(strlen(spec_text(&s, again)) < sizeof again, "spec_text");
    spec r = spec_read(t, "--x", again);
    must(s.row == r.row && !memcmp(s.v, r.v, sizeof s.v), "a spec that is not read back");
}

/* ---- Targets --------------------------------------------------------------------------------- */

static const struct { const char *name; void (*run)(fd_arena a); } targets[] = {
    { "npy", load_npy }, { "idx", load_idx }, { "load", load_either }, { "tensors", load_tensors },
    { "npz", load_tensors }, { "json", load_json }, { "net", load_net },
    { "foreign", load_foreign }, { "read-npy", tool_read }, { "read-npz", tool_read },
    { "read-csv", tool_read }, { "read-mat", tool_read }, { "read-idx", tool_read },
    { "read-gz", tool_read }, { "read-pt", tool_read }, { "read-safetensors", tool_read },
    { "read-tensors", tool_tensors },
    { "picture", tool_picture }, { "obs", tool_obs }, { "values", tool_values },
    { "options", tool_options }, { "spec", tool_spec } };

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
    static int target = -1;
    fd_status st;
    if (target < 0) {
        const char *name = getenv("FUZZ");
        for (int i = 0; i < COUNT(targets); i++)
            if (name && !strcmp(name, targets[i].name)) target = i;
        if (target < 0) {
            printf("FUZZ= is to be one of");
            for (int i = 0; i < COUNT(targets); i++) printf(" %s", targets[i].name);
            printf("\n");
            _Exit(2);
        }
    }
    fuzz_bytes = p;
    fuzz_size = n;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    targets[target].run(a);
    return 0;
}
