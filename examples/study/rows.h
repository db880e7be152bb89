/* rows.h -- an experiment as a table: a row is a network, trained by flags of fd train unless its
 * file is there, and samples, drawn by flags of fd sample unless theirs is. A run that was stopped
 * goes on. Beside a file that is kept lies FILE.how, which says by what it was made: one of a run
 * with other settings is not taken for it. */
#ifndef ROWS_H
#define ROWS_H
#include "common.h"

/* how_said -- the note of a file; NULL where there is none. */
static inline char *how_said(fd_arena *a, const char *path)
{
    enum { MOST = 4096 };
    char file[1040];
    snprintf(file, sizeof file, "%s.how", path);
    FILE *f = fopen(file, "r");
    if (!f) return NULL;
    char *text = fd_new(a, char, MOST);
    if (text && !fgets(text, MOST, f)) *text = 0;
    fclose(f);
    need(a->st);
    text[strcspn(text, "\n")] = 0;
    return text;
}

/* how_write -- the note of a file that is about to be written. */
static inline void how_write(fd_status *st, const char *path, const char *how)
{
    char file[1040], line[4096];
    snprintf(file, sizeof file, "%s.how", path), snprintf(line, sizeof line, "%s\n", how);
    fd_text_save(st, file, line);
    need(st);
}

/* how_check -- is a file that is there of these settings? */
static inline void how_check(fd_arena a, const char *path, const char *how)
{
    const char *was = how_said(&a, path);
    if (!was)
        die(1, "%s: %s.how, which says how it was made, is missing: remove the file", path, path);
    if (strcmp(was, how))
        die(1, "%s: was made with other settings, '%s' and not '%s': repeat those, or move its "
               "folder away", path, was, how);
}

/* how_drawn -- what functions depend on: the flags, and how long the network was trained. */
static inline const char *how_drawn(fd_arena *a, const args *flags, int trained)
{
    const size_t size = strlen(flags->how) + 64;
    char *how = fd_raw(a, char, (ptrdiff_t)size);
    need(a->st);
    snprintf(how, size, "%s after %d steps of training", flags->how, trained);
    return how;
}

/* how_trained -- what a network depends on: the flags but for --steps, with more of which it is
 * trained on, and the data. */
static inline const char *how_trained(fd_arena *a, const args *flags, const dataset *d)
{
    const size_t size = strlen(flags->how) + 64;
    char *how = fd_raw(a, char, (ptrdiff_t)size), *at;
    need(a->st);
    snprintf(how, size, "%s on %d functions of %ld values", flags->how, d->m, (long)fd_size(&d->s));
    while ((at = strstr(how, "--steps "))) {
        char *rest = at + 8 + strcspn(at + 8, " ");
        memmove(at, rest + (*rest == ' '), strlen(rest) + (*rest != ' '));
    }
    return how;
}

/* flags_read -- what the flags say, as in a command line, and then the others, NULL or more. */
static inline args flags_read(fd_arena *a, int command, const char *flags, const char *more)
{
    enum { MOST = 64 };
    char was[sizeof given], *word[MOST];
    args o;
    int n = 0;
    const size_t size = strlen(flags) + (more ? strlen(more) : 0) + 2;
    char *text = fd_raw(a, char, (ptrdiff_t)size), *how = fd_raw(a, char, (ptrdiff_t)size);
    need(a->st);
    sprintf(text, "%s%s%s", flags, more ? " " : "", more ? more : "");
    memcpy(how, text, size);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " ")) {
        if (n == MOST) die(2, "more than %d words in: %s", MOST, flags);
        word[n++] = w;
    }
    memcpy(was, given, sizeof given);
    memset(given, 0, sizeof given);
    options_read(&o, command, "fd help", n, word);
    memcpy(given, was, sizeof given);
    o.how = how;
    return o;
}

/* model_made -- the network in a file, trained on d to the end first. Ctrl-C saves it and ends. */
static inline kit *model_made(fd_arena *a, const char *path, const args *flags, const dataset *d)
{
    static curve c;
    args q = *flags;
    kit *k = NULL;
    const char *how = how_trained(a, flags, d);
    q.out = path, q.quiet = 1;
    if (access(path, R_OK)) how_write(a->st, path, how);
    else how_check(*a, path, how), k = kit_load(a, path, &q);
    if (!k) k = kit_new(a, &q, d, NULL);
    k->opt->how.steps = q.steps = flags->steps;
    if (k->opt->step < q.steps) {
        memset(&c, 0, sizeof c);
        int sig = train(k, d, &q, &c, *a);
        if (sig) { finish(); exit(128 + sig); }
    }
    return k;
}

/* samples_kept -- n functions of a grid in a file, as the network sees them, or NULL. how: by what
 * they were made, or NULL, which is not asked. */
static inline fd_real *samples_kept(fd_arena *a, const char *path, const fd_space *s, int n,
                                    const char *how)
{
    if (access(path, R_OK)) return NULL;
    if (how) how_check(*a, path, how);
    fd_array f = fd_npy_load(a, path);
    need(a->st);
    if (points_of(&f, 0) != n * fd_size(s)) die(1, "%s: not %d samples on this grid", path, n);
    return f.x;
}

/* samples_made -- the same, drawn now and kept. */
static inline fd_real *samples_made(fd_arena *a, const char *path, const args *flags, const kit *k,
                                    int n, const char *how)
{
    fd_real *x = fd_raw(a, fd_real, n * fd_size(&k->s));
    need(a->st);
    sample(k, flags, n, x, 0, 0, NULL, *a);
    how_write(a->st, path, how);
    functions_save(*a, path, &k->s, k->axes, n, x);
    return x;
}
#endif
