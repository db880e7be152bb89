/* conform.h -- fd vectors writes the cases of cases_*.h; fd conform runs somebody's program on them.
 *
 * The program is a command line with {in} and {out}: it reads the .npz {in} and the .json of the
 * same name, and writes the .npz {out}. It is run once for each case, for at most --timeout
 * seconds. Its status says what became of it: 0 an answer, 77 that it does not know such cases,
 * any other that it refuses this one. All else is compared with the files that fd vectors wrote. */
#ifndef CONFORM_H
#define CONFORM_H
#include "cases_space.h"
#include "cases_conv.h"
#include "cases_process.h"
#include "cases_law.h"
#include "cases_nets.h"
#include "laws.h"
#include <dirent.h>
#include <sys/wait.h>

/* ---- fd vectors ------------------------------------------------------------------------------ */

static void (*const vector_groups[])(casebook *) = {
    group_transforms, group_fields, group_convolutions, group_attention, group_networks, group_processes,
    group_parametrisations, group_schemes, group_langevin, group_posteriors, group_metrics };

/* vectors_write -- all groups, or one, to dir; dir NULL: their names are printed. */
static inline casebook vectors_write(fd_arena a, const char *dir, const char *only, uint64_t seed)
{
    casebook q;
    memset(&q, 0, sizeof q);
    q.a = a;
    q.dir = dir, q.only = only, q.seed = seed;
    q.text = (text_of){ fd_raw(&q.a, char, GROUP_TEXT), 0, GROUP_TEXT };
    q.ids = (text_of){ fd_raw(&q.a, char, GROUP_TEXT), 0, GROUP_TEXT };
    need(q.a.st);
    q.text.s[0] = q.ids.s[0] = 0;
    for (int i = 0; i < COUNT(vector_groups); i++) {
        fd_arena before = q.a;
        vector_groups[i](&q);
        q.a = before;
    }
    if (only && !q.groups) die(2, "--group: '%s': no such group; fd vectors --list names them", only);
    return q;
}

static inline int do_vectors(args *o)
{
    fd_status st;
    struct stat f;
    fd_arena a = arena_make(o, &st);
    if (o->list) {
        vectors_write(a, NULL, o->group, o->seed);
        return finish();
    }
    if (!o->out) die(2, "vectors: needs --out FOLDER, or --list");
    if (!stat(o->out, &f) && !S_ISDIR(f.st_mode)) die(1, "--out: '%s': is not a folder", o->out);
    make_folder(o->out, "");
    casebook q = vectors_write(a, o->out, o->group, o->seed);
    printf("%d groups, %d cases, %d arrays\n", q.groups, q.cases, q.arrays);
    wrote(o->out);
    return finish();
}

/* ---- JSON, as far as it is needed: s points to a value --------------------------------------- */

static inline const char *value_blank(const char *s) { return s + strspn(s, " \t\r\n"); }

/* value_end -- what follows a value; NULL where it is none. */
static inline const char *value_end(const char *s, int depth)
{
    s = value_blank(s);
    if (*s == '"') {
        for (s++; *s && *s != '"'; s++)
            if (*s == '\\' && s[1]) s++;
        return *s ? s + 1 : NULL;
    }
    if (*s != '{' && *s != '[') {
        size_t n = strspn(s, "+-.0123456789eEtrufalsn");
        return n ? s + n : NULL;
    }
    char close = *s == '{' ? '}' : ']';
    int object = *s == '{';
    s = value_blank(s + 1);
    if (depth > 30) return NULL;
    while (*s != close) {
        if (object) {
            s = *s == '"' ? value_end(s, depth) : NULL;
            s = s ? value_blank(s) : NULL;
            if (!s || *s++ != ':') return NULL;
        }
        s = value_end(s, depth + 1);
        if (!s) return NULL;
        s = value_blank(s);
        if (*s == ',') s = value_blank(s + 1);
        else if (*s != close) return NULL;
    }
    return s + 1;
}

/* value_get -- the value of a key of an object; value_item -- the i-th of a list; NULL: there is none.
 * The text as a whole has been seen to be right. */
static inline const char *value_get(const char *s, const char *name)
{
    size_t n = strlen(name);
    if (!s || *(s = value_blank(s)) != '{') return NULL;
    for (s = value_blank(s + 1); *s == '"';) {
        int same = !strncmp(s + 1, name, n) && s[n + 1] == '"';
        s = value_blank(value_blank(value_end(s, 0)) + 1);
        if (same) return s;
        s = value_blank(value_end(s, 0));
        if (*s == ',') s = value_blank(s + 1);
    }
    return NULL;
}
static inline const char *value_item(const char *s, int i)
{
    if (!s || *(s = value_blank(s)) != '[') return NULL;
    for (s = value_blank(s + 1); *s && *s != ']'; i--) {
        if (!i) return s;
        s = value_blank(value_end(s, 0));
        if (*s == ',') s = value_blank(s + 1);
    }
    return NULL;
}
static inline char *value_text(const char *s, char *to, size_t room)
{
    size_t n = 0;
    for (s = s && *s == '"' ? s + 1 : ""; *s && *s != '"' && n + 1 < room; s++) {
        if (*s == '\\' && s[1]) s++;
        to[n++] = *s;
    }
    to[n] = 0;
    return to;
}
static inline double value_number(const char *s, double otherwise)
{
    char *end;
    double v = s ? strtod(s, &end) : 0;
    return s && end != s ? v : otherwise;
}

/* ---- A run of the program -------------------------------------------------------------------- */

/* quoted -- a path for the shell. */
static inline void quoted(text_of *t, const char *path)
{
    say(t, "'");
    for (; *path; path++) say(t, *path == '\'' ? "'\\''" : "%c", *path);
    say(t, "'");
}

/* command_of -- the command line with {in} and {out} replaced. */
static inline void command_of(const char *cmd, const char *in, const char *out, char *to, size_t room)
{
    text_of t = { to, 0, room };
    for (; *cmd; cmd++) {
        if (!strncmp(cmd, "{in}", 4)) quoted(&t, in), cmd += 3;
        else if (!strncmp(cmd, "{out}", 5)) quoted(&t, out), cmd += 4;
        else say(&t, "%c", *cmd);
    }
}

enum { RUN_LATE = -1, RUN_KILLED = -2 };

/* run_program -- its status, or RUN_..; what it says goes to the file `log`. It is a group of
 * processes of its own, which ends with it. */
static inline int run_program(const char *command, const char *log, double timeout, int *sig)
{
    pid_t pid = fork();
    int status = 0;
    if (pid < 0) die(1, "conform: no new process: %s", strerror(errno));
    if (!pid) {
        setpgid(0, 0);
        signal(SIGPIPE, SIG_DFL), signal(SIGXFSZ, SIG_DFL), signal(SIGBUS, SIG_DFL);
        if (!freopen("/dev/null", "r", stdin) || !freopen(log, "w", stdout)) _exit(126);
        dup2(1, 2);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    setpgid(pid, pid);
    double begin = now();
    struct timespec nap = { 0, 500000 };
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now() - begin > timeout || stopped) {
            kill(-pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) { }
            if (stopped) return RUN_KILLED;
            return RUN_LATE;
        }
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 20000000) nap.tv_nsec *= 2;
    }
    kill(-pid, SIGKILL);                       /* what it has left behind */
    if (WIFSIGNALED(status)) *sig = WTERMSIG(status);
    else if (WEXITSTATUS(status) > 128 && WEXITSTATUS(status) < 128 + 32) *sig = WEXITSTATUS(status) - 128;
    else return WEXITSTATUS(status);
    return RUN_KILLED;
}

/* last_line -- of what the program said, as one line that is safe to print. */
static inline const char *last_line(const char *log, char *to, size_t room)
{
    char line[400] = "", last[400] = "";
    FILE *f = fopen(log, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[strspn(line, " \t")]) memcpy(last, line, sizeof last);
    }
    if (f) fclose(f);
    return fd_escape(last, to, room);
}

/* remove_all -- a folder of our own and all in it. */
static inline void remove_all(const char *path)
{
    DIR *d = opendir(path);
    char inner[2048];
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) >= (int)sizeof inner) continue;
        if (unlink(inner)) remove_all(inner);
    }
    if (d) closedir(d);
    rmdir(path);
}

/* ---- Comparison ------------------------------------------------------------------------------ */

enum { PASSED, ACCEPTED, FAILED, SKIPPED, ENDS };
enum { MOST_IDS = 32 };
typedef struct { char id[MOST_IDS][80]; int count[MOST_IDS], ids; } hints;
typedef struct {
    fd_arena a;
    const char *dir, *cmd, *work, *test;       /* test: the case's entry */
    double timeout, tol;
    int end;
    double off;                                /* of the worst output, in parts of the answer */
    char why[600];
    hints found;                               /* of the case */
} trial;

static inline void hint_add(hints *h, const char *id)
{
    int i = 0;
    while (i < h->ids && strcmp(h->id[i], id)) i++;
    if (i == MOST_IDS) return;
    if (i == h->ids) snprintf(h->id[h->ids++], sizeof h->id[0], "%s", id), h->count[i] = 0;
    h->count[i]++;
}

static inline const char *shape_text(char text[120], const fd_tensor *x)
{
    if (x->nd) extents(text, x->nd, x->n, "x");
    else strcpy(text, "one number");
    return text;
}

static inline int same_shape(const fd_tensor *x, const fd_tensor *y)
{
    return x->nd == y->nd && !memcmp(x->n, y->n, (size_t)x->nd * sizeof *x->n);
}

/* difference -- the largest difference over the largest of the answer y. */
static inline double difference(const fd_tensor *x, const fd_tensor *y)
{
    double most = 0, off = 0;
    for (ptrdiff_t i = 0; i < count_of(y->nd, y->n); i++) {
        most = fmax(most, fabs((double)y->x[i]));
        off = fmax(off, fabs((double)x->x[i] - (double)y->x[i]));
    }
    return off > 0 ? off / fmax(most, 1e-30) : 0;
}

/* matches -- is all that the program says what `id` would say ("": the answer)? */
static inline int matches(const trial *q, const fd_tensors *said, const fd_tensors *known, const char *id)
{
    char name[160];
    for (int i = 0; i < known->count; i++) {
        const fd_tensor *y = &known->tensor[i], *own;
        if (strchr(y->name, '/')) continue;
        snprintf(name, sizeof name, "%s/%s", id, y->name);
        own = *id ? fd_tensor_find(known, name) : NULL;
        if (!(difference(fd_tensor_find(said, y->name), own ? own : y) <= q->tol)) return 0;
    }
    return 1;
}

/* factor -- the answer times a number, or reversed in sign: what no fault of the list says. */
static inline void factor(trial *q, const fd_tensor *x, const fd_tensor *y)
{
    double xy = 0, yy = 0, most = 0, off = 0;
    ptrdiff_t n = count_of(y->nd, y->n);
    for (ptrdiff_t i = 0; i < n; i++) {
        xy += (double)x->x[i] * (double)y->x[i];
        yy += (double)y->x[i] * (double)y->x[i];
    }
    if (n < 3 || !(yy > 0) || !(fabs(xy) > 0)) return;
    for (ptrdiff_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x->x[i]));
        off = fmax(off, fabs((double)x->x[i] - xy / yy * (double)y->x[i]));
    }
    if (off <= 10 * q->tol * most) {
        size_t at = strlen(q->why);
        snprintf(q->why + at, sizeof q->why - at, "; it is the answer times %.6g", xy / yy);
    }
}

/* said_wrong -- what cannot be compared at all: missing, of another dims, not finite. */
static inline int said_wrong(trial *q, const fd_tensors *said, const fd_tensors *known)
{
    for (int i = 0; i < known->count; i++) {
        const fd_tensor *y = &known->tensor[i], *x;
        char want[120], got[120];
        if (strchr(y->name, '/')) continue;
        x = fd_tensor_find(said, y->name);
        if (!x) {
            snprintf(q->why, sizeof q->why, "its output has no array '%s'", y->name);
            return 1;
        }
        if (!same_shape(x, y)) {
            int last = y->nd - 1, short_by = x->nd == y->nd && last >= 0 && y->n[last] % 2
                     && x->n[last] == y->n[last] - 1;
            snprintf(q->why, sizeof q->why, "%s is %s, not %s%s", y->name, shape_text(got, x), shape_text(want, y),
                     short_by ? ": an inverse real transform must be told how many points there are" : "");
            return 1;
        }
        for (ptrdiff_t j = 0; j < count_of(x->nd, x->n); j++)
            if (!isfinite((double)x->x[j])) {
                snprintf(q->why, sizeof q->why, "%s has NaN or infinity, at entry %td", y->name, j);
                return 1;
            }
    }
    return 0;
}

/* compare_values -- the verdict on an answer. */
static inline void compare_values(trial *q, const fd_tensors *said, const fd_tensors *known, int result)
{
    static const char *const lists[] = { "also", "faults" };
    char id[80];
    int also = 0;
    q->end = FAILED;
    if (said_wrong(q, said, known)) return;
    if (matches(q, said, known, "")) q->end = PASSED;
    for (int l = 0; l < 2; l++) {
        const char *s, *list = value_get(q->test, lists[l]);
        for (int i = 0; (s = value_item(list, i)) != NULL; i++)
            if (matches(q, said, known, value_text(s, id, sizeof id))) {
                also |= !l;
                hint_add(&q->found, id);
            }
    }
    if (result == INVALID) {
        if (q->end == PASSED) snprintf(q->why, sizeof q->why, "it gives the wrong answer that the case is about");
        q->end = q->end == PASSED ? FAILED : PASSED;
        return;
    }
    if (q->end == PASSED) return;
    if (also && result == ACCEPTABLE) {
        q->end = ACCEPTED;
        return;
    }
    for (int i = 0; i < known->count; i++) {
        const fd_tensor *y = &known->tensor[i], *x = strchr(y->name, '/') ? NULL : fd_tensor_find(said, y->name);
        double d = x ? difference(x, y) : 0;
        if (!x || d <= q->off || d <= q->tol) continue;
        q->off = d;
        snprintf(q->why, sizeof q->why, "%s differs by %.3g of its size", y->name, d);
        factor(q, x, y);
    }
}

/* compare_law -- of `count` functions of their own: variances of the modes by wave, means. */
static inline void compare_law(trial *q, const fd_tensors *said, const fd_tensors *known)
{
    const char *params = value_get(q->test, "params"), *list = value_get(params, "n"), *s;
    char word[40], id[80], name[120], want[120], got[120];
    int n[FD_MAXD] = { 0 }, nd = 0, count = (int)value_number(value_get(params, "count"), 0), bc = 0;
    const fd_tensor *x = fd_tensor_find(said, "x"), *lam = fd_tensor_find(known, "lam");
    fd_arena a = q->a;
    q->end = FAILED;
    for (; nd < 3 && (s = value_item(list, nd)) != NULL; nd++) n[nd + 1] = (int)value_number(s, 0);
    n[0] = count;
    value_text(value_get(params, "boundary"), word, sizeof word);
    while (bc < FD_MIXED && strcmp(t_boundary.rows[bc].name, word)) bc++;
    if (!x || !lam) {
        snprintf(q->why, sizeof q->why, "its output has no array 'x'");
        return;
    }
    if (x->nd != nd + 1 || memcmp(x->n, n, (size_t)(nd + 1) * sizeof *n)) {
        fd_tensor meant = { .nd = nd + 1, .n = { n[0], n[1], n[2], n[3] } };
        snprintf(q->why, sizeof q->why, "x is %s, not %s", shape_text(got, x), shape_text(want, &meant));
        return;
    }
    fd_space g = fd_grid(&a, nd, n + 1, NULL, (int[]){ bc, bc, bc }, 1);
    doubt v = law_judge(&g, count, x->x, lam->x, a);
    if (a.st->code || g.modes != count_of(lam->nd, lam->n)) return;
    if (v.p >= 1e-6) {
        q->end = PASSED;
        return;
    }
    snprintf(q->why, sizeof q->why, "not this law: p = %.2g, by %s", v.p, v.what);
    list = value_get(q->test, "faults");
    for (int i = 0; (s = value_item(list, i)) != NULL; i++) {
        snprintf(name, sizeof name, "%s/lam", value_text(s, id, sizeof id));
        const fd_tensor *other = fd_tensor_find(known, name);
        if (other && law_judge(&g, count, x->x, other->x, a).p >= 1e-6) hint_add(&q->found, id);
    }
}

/* ---- fd conform ------------------------------------------------------------------------------ */

/* case_tensors -- arrays of a file, without ending the program: st says what is wrong with it. */
static inline fd_tensors case_tensors(fd_arena *a, const char *path)
{
    fd_tensors f = source_tensors(a, path, 1);
    return a->st->code ? (fd_tensors){ .count = 0 } : f;
}

/* trial_of -- one case: the program is run and its answer judged. */
static inline void trial_of(trial *q, const char *group, int number)
{
    char in[1400], out[1200], log[1200], command[8192], text[400], word[40];
    fd_status own;
    int sig = 0, result = 0;
    fd_arena a = fd_arena_over(q->a.beg, (size_t)(q->a.end - q->a.beg), &own);
    value_text(value_get(q->test, "result"), word, sizeof word);
    result = !strcmp(word, "invalid") ? INVALID : !strcmp(word, "acceptable") ? ACCEPTABLE : VALID;
    snprintf(in, sizeof in, "%s/%s/%03d.npz", q->dir, group, number);
    snprintf(out, sizeof out, "%s/answer.npz", q->work);
    snprintf(log, sizeof log, "%s/log", q->work);
    command_of(q->cmd, in, out, command, sizeof command);
    unlink(out);
    q->end = FAILED;
    q->off = 0;
    *q->why = 0;
    q->found.ids = 0;
    int status = run_program(command, log, q->timeout, &sig);
    last_line(log, text, sizeof text);
    if (status == 77) q->end = SKIPPED;
    else if (status == RUN_LATE) snprintf(q->why, sizeof q->why, "no answer after %g s: it was ended", q->timeout);
    else if (status == RUN_KILLED) snprintf(q->why, sizeof q->why, "it crashed: signal %d; %.300s", sig, text);
    else if (status == 126 || status == 127)
        snprintf(q->why, sizeof q->why, "it did not start: %.300s", text);
    else if (status && result == INVALID) q->end = PASSED;
    else if (status) snprintf(q->why, sizeof q->why, "status %d: %.300s", status, *text ? text : "it said nothing");
    else if (access(out, R_OK)) {
        if (result == INVALID) q->end = PASSED;
        else snprintf(q->why, sizeof q->why, "status 0, but it wrote nothing to {out}");
    }
    if (status || q->end != FAILED || *q->why) return;
    fd_tensors said = case_tensors(&a, out);
    if (own.code) {
        fd_explain(&own, text, sizeof text);
        snprintf(q->why, sizeof q->why, "its output cannot be read: %.300s", text);
        return;
    }
    snprintf(in, sizeof in, "%s/%s/%03d.out.npz", q->dir, group, number);
    fd_tensors known = case_tensors(&a, in);
    need(&own);
    q->a = a;
    value_text(value_get(q->test, "compare"), word, sizeof word);
    if (!strcmp(word, "law")) compare_law(q, &said, &known);
    else compare_values(q, &said, &known, result);
}

/* group_read -- the text of a group's .json; NULL where there is none. */
static inline char *group_read(fd_arena *a, const char *dir, const char *group)
{
    char path[1400], schema[40];
    snprintf(path, sizeof path, "%s/%s.json", dir, group);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = fd_raw(a, char, GROUP_TEXT + 1);
    need(a->st);
    size_t n = fread(text, 1, GROUP_TEXT + 1, f);
    fclose(f);
    if (n > GROUP_TEXT) die(1, "%s: longer than a group of vectors is", path);
    text[n] = 0;
    const char *end = value_end(text, 0);
    if (!end || *value_blank(end) || strlen(text) != n) die(1, "%s: is not JSON, or is damaged", path);
    if (strcmp(value_text(value_get(text, "schema"), schema, sizeof schema), VECTORS_SCHEMA))
        die(1, "%s: its schema is '%s', not %s: fd vectors writes them anew", path, schema, VECTORS_SCHEMA);
    return text;
}

enum { SHOW_FAILED = 6 };
typedef struct { int cases[ENDS], unexplained, shown; hints found; } tally_of;

/* group_run -- all cases of a group. */
static inline void group_run(trial *q, const char *group, const char *text, tally_of *sum)
{
    const char *tests = value_get(text, "tests");
    fd_arena before = q->a;
    memset(sum, 0, sizeof *sum);
    for (int i = 0; (q->test = value_item(tests, i)) != NULL; i++) {
        int number = (int)value_number(value_get(q->test, "case"), 0);
        double tol = value_number(value_get(q->test, "tolerance"), 0);
        char what[300];
        q->a = before;
        q->tol = fmax(tol, q->tol < 0 ? 0 : tol ? fmax(q->tol, sizeof(fd_real) == 4 ? 2e-6 : 0) : 0);
        double least = q->tol;
        trial_of(q, group, number);
        q->tol = least;
        sum->cases[q->end]++;
        if (q->end != FAILED) continue;
        for (int j = 0; j < q->found.ids; j++) hint_add(&sum->found, q->found.id[j]);
        sum->unexplained += !q->found.ids;
        if (sum->shown++ >= SHOW_FAILED) continue;
        printf("%s, case %d (%s): %s\n", group, number, value_text(value_get(q->test, "what"), what, sizeof what), q->why);
    }
    q->a = before;
    if (sum->shown > SHOW_FAILED) printf("%s: and %d more\n", group, sum->shown - SHOW_FAILED);
}

/* group_hints -- what the failures usually mean: the faults that explain most come first. */
static inline void group_hints(const char *group, const char *text, const tally_of *sum)
{
    const char *notes = value_get(text, "notes");
    int done[MOST_IDS] = { 0 };
    for (int k = 0; k < sum->found.ids; k++) {
        int best = -1;
        char note[400];
        for (int i = 0; i < sum->found.ids; i++)
            if (!done[i] && (best < 0 || sum->found.count[i] > sum->found.count[best])) best = i;
        done[best] = 1;
        value_text(value_get(notes, sum->found.id[best]), note, sizeof note);
        printf("%s: %d of %d failures are what this gives: %s [%s]\n", group, sum->found.count[best], sum->cases[FAILED],
               note, sum->found.id[best]);
    }
    if (sum->unexplained && sum->found.ids) printf("%s: %d failures are none of these\n", group, sum->unexplained);
}

/* scratch_dir -- a new folder for what the program writes. */
static inline char *scratch_dir(char path[1024])
{
    const char *base = getenv("TMPDIR");
    if (snprintf(path, 1024, "%s/fd-conform-XXXXXX", base && *base ? base : "/tmp") >= 1000 || !mkdtemp(path))
        die(1, "conform: no folder in %s: %s; TMPDIR names another", base && *base ? base : "/tmp", strerror(errno));
    return path;
}

static inline int conform_groups(trial *q, const args *o, int total[ENDS])
{
    static const char *const names[] = { "transforms", "fields", "convolutions", "attention", "networks", "processes",
                                         "parametrisations", "schemes", "langevin", "posteriors", "metrics" };
    tally_of sum[COUNT(names)];
    int there = 0, seen[COUNT(names)] = { 0 };
    for (int g = 0; g < COUNT(names) && !stopped; g++) {
        fd_arena before = q->a;
        if (o->group && strcmp(o->group, names[g])) continue;
        char *text = group_read(&q->a, q->dir, names[g]);
        if (!text) continue;
        there += seen[g] = 1;
        group_run(q, names[g], text, &sum[g]);
        group_hints(names[g], text, &sum[g]);
        q->a = before;
    }
    if (stopped || !there) return there;
    printf("%-18s %8s %8s %8s %8s\n", "group", "valid", "accepted", "failed", "skipped");
    for (int g = 0; g < COUNT(names); g++) {
        if (!seen[g]) continue;
        printf("%-18s", names[g]);
        for (int e = 0; e < ENDS; e++) printf(" %8d", sum[g].cases[e]), total[e] += sum[g].cases[e];
        puts("");
    }
    return there;
}

static inline int do_conform(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    char work[1024], own[1100];
    int total[ENDS] = { 0 };
    if (!o->cmd) die(2, "conform: needs --cmd 'program {in} {out}'");
    if (!strstr(o->cmd, "{in}") || !strstr(o->cmd, "{out}"))
        die(2, "--cmd: '%.200s': must hold {in} and {out}, which become the two paths", o->cmd);
    if (strlen(o->cmd) > 4000) die(2, "--cmd: longer than 4000 bytes");
    if (o->file && access(o->file, R_OK | X_OK))
        die(1, "%s: %s; fd vectors -o %s writes the vectors", o->file, strerror(errno), o->file);
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal), signal(SIGHUP, on_signal);
    scratch_dir(work);
    snprintf(own, sizeof own, "%s/vectors", work);
    if (!o->file) {
        make_folder(own, "");
        vectors_write(a, own, o->group, o->seed);
    }
    trial q = { .a = a, .dir = o->file ? o->file : own, .cmd = o->cmd, .work = work, .timeout = o->timeout, .tol = o->tol };
    int there = conform_groups(&q, o, total);
    remove_all(work);
    if (stopped) die(128 + stopped, "stopped");
    if (!there) die(1, "%s: no vectors%s%s in it; fd vectors -o %s writes them", o->file, o->group ? " of the group " : "",
                    o->group ? o->group : "", o->file);
    int tried = total[PASSED] + total[ACCEPTED] + total[FAILED];
    printf("%d of %d cases pass%s\n", total[PASSED] + total[ACCEPTED], tried, tried ? "" : ": the program knows none of them");
    finish();
    return total[FAILED] || !tried;
}
#endif
