/* rows.h -- an experiment as a table: a row is a network, trained by flags of fd train unless its file
 * is there, and samples, drawn by flags of fd sample unless theirs is. A run that was stopped goes on. */
#ifndef ROWS_H
#define ROWS_H
#include "common.h"

/* flags_read -- what the flags say, as in a command line, and then the others, NULL or more. */
static inline args flags_read(fd_arena *a, int command, const char *flags, const char *more)
{
    enum { MOST = 64 };
    char was[sizeof given], *word[MOST];
    args o;
    int n = 0;
    char *text = fd_raw(a, char, (ptrdiff_t)(strlen(flags) + (more ? strlen(more) : 0) + 2));
    need(a->st);
    sprintf(text, "%s %s", flags, more ? more : "");
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) {
        if (n == MOST) die(2, "more than %d words in: %s", MOST, flags);
        word[n++] = w;
    }
    memcpy(was, given, sizeof given);
    memset(given, 0, sizeof given);
    options_read(&o, command, "fd help", n, word);
    memcpy(given, was, sizeof given);
    return o;
}

/* model_made -- the network in a file, trained on d to the end first. Ctrl-C saves it and ends. */
static inline kit *model_made(fd_arena *a, const char *path, const args *flags, const dataset *d)
{
    static curve c;
    args q = *flags;
    kit *k = NULL;
    q.out = path, q.quiet = 1;
    if (!access(path, R_OK)) k = kit_load(a, path, &q);
    if (!k) k = kit_new(a, &q, d, NULL);
    k->opt->how.steps = q.steps = flags->steps;
    if (k->opt->step < q.steps) {
        memset(&c, 0, sizeof c);
        int sig = train(k, d, &q, &c, *a);
        if (sig) { finish(); exit(128 + sig); }
    }
    return k;
}

/* samples_kept -- n functions of a grid in a file, as the network sees them, or NULL. */
static inline fd_real *samples_kept(fd_arena *a, const char *path, const fd_space *s, int n)
{
    if (access(path, R_OK)) return NULL;
    fd_array f = fd_npy_load(a, path);
    need(a->st);
    if (points_of(&f, 0) != n * fd_size(s)) die(1, "%s: not %d samples on this grid", path, n);
    return f.x;
}

/* samples_made -- the same, drawn now and kept. */
static inline fd_real *samples_made(fd_arena *a, const char *path, const args *flags, const kit *k,
                                    int n)
{
    fd_real *x = fd_raw(a, fd_real, n * fd_size(&k->s));
    need(a->st);
    sample(k, flags, n, x, 0, 0, NULL, *a);
    functions_save(*a, path, &k->s, k->axes, n, x);
    return x;
}
#endif
