/* starve.c -- what happens where memory ends: make starve. Everything that hash.c computes, files
 * of every kind written and read, checkpoints and foreign weights, is done once with all the memory
 * that it wants, and then again and again so that in turn each one of the pieces that it takes from
 * its arena cannot be had. Each time it must end with FD_ENOMEM, or, where it can do without the
 * piece, with the same numbers; the compiler's sanitizers see what is touched besides. Built with
 * starve.h. `starve [prefix] [most]`: the tasks whose name starts so; where there are more pieces
 * than `most`, every so many, which are `most` of them or up to twice as many. Ends with `N passed,
 * N failed`. */
#include "read.h"
#include <unistd.h>
#define main hash_main
#include "hash.c"
#undef main

long starve_left;
enum { SIZE = 1 << 26 };
static long good, bad;

/* ---- Files ----------------------------------------------------------------------------------- */

static const char *scratch_path(const char *name)
{
    static char path[8][128];
    static int k;
    char *p = path[k++ & 7];
    snprintf(p, sizeof *path, "/dev/shm/starve-%ld-%s", (long)getpid(), name);
    return p;
}

static void eat_tensors(const fd_tensors *f)
{
    for (int i = 0; i < f->count; i++) {
        ptrdiff_t n = 1;
        for (int d = 0; d < f->tensor[i].nd; d++) n *= f->tensor[i].n[d];
        eat(n, f->tensor[i].x);
    }
}

static void do_files(fd_arena a)
{
    const int n[2] = { 3, 5 };
    const char *path[5] = { "a.npy", "a.npz", "a.safetensors", "a.png", "a.csv" };
    for (int i = 0; i < 5; i++) path[i] = scratch_path(path[i]);
    fd_real *x = normals(&a, 15, 1);
    fd_tensor t[2] = { { "x", 2, { 3, 5 }, x, NULL }, { "y", 1, { 15 }, x, NULL } };
    fd_meta m = { "key", "value" };
    const fd_tensors f = { 2, 1, t, &m, 0, NULL };
    fd_npy_save(&st, path[0], 2, n, x);
    const fd_array y = fd_load(&a, path[0]);
    if (y.x) eat(15, y.x);
    fd_npz_save(&st, path[1], &f);
    const fd_tensors z = fd_tensors_load(&a, path[1]);
    eat_tensors(&z);
    fd_tensors_save(&st, path[2], &f);
    const fd_tensors s = fd_tensors_load(&a, path[2]);
    eat_tensors(&s);
    fd_png_sheet(&st, path[3], 1, 1, 3, 5, x, -1, 1, FD_VIRIDIS, 2, a);
    fd_csv_save(&st, path[4], 1, (const char *const[]){ "v" }, 2, (const double[]){ 1, 2 });
    for (int i = 0; i < 5; i++) remove(path[i]);
}

static void do_checkpoints(fd_arena a)
{
    for (size_t i = 0; i < sizeof net / sizeof *net; i++) {
        fd_arena mem = a;
        const char *path = scratch_path("net.safetensors");
        fd_net *f = fd_net_new(&mem, &net[i].arch, fd_seed(i)), *again = NULL;
        fd_opt *opt = fd_opt_new(&mem, f, NULL), *more = NULL;
        fd_net_save(&st, path, f, i % 2 ? opt : NULL, NULL, mem);
        fd_net_load(&mem, path, &again, &more);
        if (again) eat(again->count, again->w);
        if (more) eat(again->count, more->avg);
        if (!again != !!st.code) bad++, printf("a network and an error, or neither\n");
        remove(path);
    }
}

static void do_foreign(fd_arena a)
{
    static const struct { const char *name; fd_foreign how; } files[] = {
        { "fno3.safetensors", { .act = 0 } }, { "operator02cp.safetensors", { .act = 0 } },
        { "operator1.safetensors", { .version = 1 } },
        { "operator2tucker.safetensors", { .act = 0 } },
        { "operator2norm.safetensors", { .norms = 2 } },
        { "operator03mlp.safetensors", { .norms = -1, .skip = 1, .mix_skip = 1 } },
        { "uvit.safetensors", { .heads = 2 } } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        fd_arena mem = a;
        snprintf(path, sizeof path, "tests/data/%s", files[i].name);
        const fd_tensors f = fd_tensors_load(&mem, path);
        const fd_net *g = fd_net_from(&mem, &f, &files[i].how);
        if (g) eat(g->count, g->w);
    }
}

static void do_reading(fd_arena a)
{
    static const char *const names[] = { "x.npy", "x.npy.gz", "deflated.npz:c8", "packed.mat:c",
        "x.pt:model.turned", "x.safetensors:F64", "plain.mat:c", "x.idx.gz" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        fd_arena mem = a;
        fd_real *x = fd_raw(&mem, fd_real, 4096);
        snprintf(path, sizeof path, "tests/data/read/%s", names[i]);
        source f = source_open(&mem, path);
        const ptrdiff_t n = st.code || !x ? 0 : source_slab(&f);
        if (n > 0 && n <= 4096) source_read(&f, 0, 1, x, mem);
        if (!st.code && x) eat(n <= 4096 ? n : 0, x);
        source_close(&f);
    }
}

/* ---- Starving -------------------------------------------------------------------------------- */

/* a task, or with group NULL network `which`: its sum, and what it took */
static uint64_t once(void (*group)(fd_arena), size_t which, char *mem, long fail, long *took)
{
    sum = 14695981039346656037u;
    fd_arena a = fd_arena_over(mem, SIZE, &st);
    starve_left = fail;
    if (group) group(a);
    else do_network(which, a);
    *took = fail - starve_left;
    return sum;
}

static void task(const char *name, void (*group)(fd_arena), size_t which, char *mem, long most)
{
    long took, all, same = 0, tried = 0, wrong = 0;
    const uint64_t want = once(group, which, mem, LONG_MAX, &all);
    if (st.code) {
        char why[160];
        fd_explain(&st, why, sizeof why);
        printf("%s: %s\n", name, why), bad++;
        return;
    }
    const long step = all > most ? all / most : 1;
    for (long k = 1; k <= all; k += step, tried++) {
        const uint64_t got = once(group, which, mem, k, &took);
        const int fine = st.code ? st.code == FD_ENOMEM : got == want;
        same += !st.code;
        if (fine) continue;
        if (wrong++ < 3) {
            char why[160];
            fd_explain(&st, why, sizeof why);
            printf("%s: piece %ld of %ld: %s\n", name, k, all, st.code ? why : "other numbers");
        }
    }
    good += tried - wrong;
    bad += wrong;
    printf("%s: %ld pieces, %ld tried, %ld not needed, %ld wrong\n", name, all, tried, same, wrong);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(fd_arena); } tasks[] = {
        { "streams", do_streams }, { "transforms", do_transforms }, { "algebra", do_algebra },
        { "spaces", do_spaces }, { "covariances", do_covariances }, { "processes", do_processes },
        { "models", do_models }, { "samplers", do_samplers }, { "densities", do_densities },
        { "posteriors", do_posteriors }, { "chains", do_chains }, { "bridges", do_bridges },
        { "policies", do_policies }, { "maps", do_maps }, { "files", do_files },
        { "checkpoints", do_checkpoints }, { "foreign", do_foreign }, { "reading", do_reading } };
    const char *prefix = argc > 1 ? argv[1] : "";
    const long most = argc > 2 ? strtol(argv[2], NULL, 10) : LONG_MAX;
    char *mem = malloc(SIZE);
    if (!mem) return 2;
    starve = 1;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (!strncmp(tasks[i].name, prefix, strlen(prefix)))
            task(tasks[i].name, tasks[i].run, 0, mem, most);
    for (size_t i = 0; i < sizeof net / sizeof *net; i++) {
        char name[48];
        snprintf(name, sizeof name, "net-%s", net[i].name);
        if (!strncmp(name, prefix, strlen(prefix))) task(name, NULL, i, mem, most);
    }
    free(mem);
    printf("%ld passed, %ld failed\n", good, bad);
    return bad != 0;
}
