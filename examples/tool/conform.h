/* conform.h -- fd vectors writes the cases of cases_*.h; fd conform runs programs on them.
 *
 * The program is a command line with {in} and {out}: it reads the .npz {in} and the .json of the
 * same name, and writes the .npz {out}. It is run once for each case, for at most --timeout
 * seconds. Its status says what became of it: 0 an answer, 77 that it does not know such cases,
 * any other that it refuses this one. All else is compared with the files that fd vectors wrote. */
#ifndef CONFORM_H
#define CONFORM_H
#include "cases_transforms.h"
#include "cases_fields.h"
#include "cases_conv.h"
#include "cases_nets.h"
#include "cases_process.h"
#include "cases_times.h"
#include "cases_samplers.h"
#include "cases_training.h"
#include "cases_interpolants.h"
#include "cases_guidance.h"
#include "cases_grids.h"
#include "cases_likelihoods.h"
#include "cases_posterior.h"
#include "cases_metrics.h"
#include "compare.h"

/* ---- fd vectors ------------------------------------------------------------------------------ */

static const struct { const char *name; void (*write)(casebook *); } vector_groups[] = {
    { "transforms", group_transforms }, { "fields", group_fields },
    { "convolutions", group_convolutions }, { "attention", group_attention },
    { "activations", group_activations }, { "networks", group_networks }, { "grids", group_grids }, { "processes", group_processes },
    { "times", group_times }, { "parametrisations", group_parametrisations },
    { "training", group_training }, { "schemes", group_schemes }, { "samplers", group_samplers },
    { "interpolants", group_interpolants }, { "bridges", group_bridges },
    { "langevin", group_langevin }, { "guidance", group_guidance },
    { "posteriors", group_posteriors }, { "likelihoods", group_likelihoods },
    { "metrics", group_metrics } };

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
        vector_groups[i].write(&q);
        q.a = before;
    }
    if (only && !q.groups) die(2, "--group: '%s': no such group; fd vectors --list names them",
                               only);
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

/* ---- fd conform ------------------------------------------------------------------------------ */

/* trial_of -- one case: the program is run and its answer judged. */
static inline void trial_of(trial *q, const char *group, int number)
{
    char in[1400], out[1200], log[1200], command[8192], text[400], word[40];
    fd_status own;
    struct stat f;
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
    q->late = status == RUN_LATE ? q->late + 1 : 0;
    if (status == 77) q->end = SKIPPED;
    else if (status == RUN_LATE) snprintf(q->why, sizeof q->why,
                                          "no answer after %g s: it was ended", q->timeout);
    else if (status == RUN_KILLED) snprintf(q->why, sizeof q->why, "it crashed: signal %d; %.300s",
                                            sig, text);
    else if (status == 126 || status == 127)
        snprintf(q->why, sizeof q->why, "it did not start: %.300s", text);
    else if (status && result == INVALID) q->end = PASSED;
    else if (status) snprintf(q->why, sizeof q->why, "status %d: %.300s", status, *text ? text
                              : "it said nothing");
    else if (!stat(out, &f) && !S_ISREG(f.st_mode))
        snprintf(q->why, sizeof q->why, "what it wrote to {out} is not a file");
    else if (access(out, R_OK)) {
        if (result == INVALID) q->end = PASSED;
        else snprintf(q->why, sizeof q->why, "status 0, but it wrote nothing to {out}");
    }
    if (status || q->end != FAILED || *q->why) return;
    fd_arena before = q->a;
    fd_tensors said = source_tensors(&a, out, 1);
    if (own.code && said.others && !said.count) own.code = 0;     /* whole numbers, truth values */
    if (own.code) {
        fd_explain(&own, text, sizeof text);
        snprintf(q->why, sizeof q->why, "its output cannot be read: %.300s", text);
        return;
    }
    snprintf(in, sizeof in, "%s/%s/%03d.out.npz", q->dir, group, number);
    fd_tensors known = source_tensors(&a, in, 1);
    need(&own);
    q->a = a;
    value_text(value_get(q->test, "compare"), word, sizeof word);
    if (!strcmp(word, "law")) compare_law(q, &said, &known);
    else compare_values(q, &said, &known, result);
    q->a = before;
}

/* group_read -- a group's .json; NULL where there is none. */
static inline const value *group_read(fd_arena *a, const char *dir, const char *name)
{
    char path[1400], schema[40];
    snprintf(path, sizeof path, "%s/%s.json", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = fd_raw(a, char, GROUP_TEXT + 1);
    need(a->st);
    size_t n = fread(text, 1, GROUP_TEXT + 1, f);
    fclose(f);
    if (n > GROUP_TEXT) die(1, "%s: longer than a group of vectors is", path);
    text[n] = 0;
    json j = { text, 0 };
    const value *group = value_read(a, &j, 0);
    need(a->st);
    json_space(&j);
    if (!group || j.p != text + n) die(1, "%s: is not JSON, or is damaged", path);
    if (strcmp(value_text(value_get(group, "schema"), schema, sizeof schema), VECTORS_SCHEMA))
        die(1, "%s: its schema is '%s', not %s: fd vectors writes them anew", path, schema,
            VECTORS_SCHEMA);
    return group;
}

enum { SHOW_FAILED = 6, LATE_MOST = 3 };
typedef struct { int cases[ENDS], unexplained, shown; hints found; } tally_of;

/* group_run -- all cases of a group. */
static inline void group_run(trial *q, const char *name, const value *group, tally_of *sum)
{
    const value *tests = value_get(group, "tests");
    fd_arena before = q->a;
    int left = 0;
    memset(sum, 0, sizeof *sum);
    for (q->test = value_item(tests, 0); q->test; q->test = q->test->next) {
        int number = (int)value_number(value_get(q->test, "case"), 0);
        double tol = value_number(value_get(q->test, "tolerance"), 0);
        char what[300];
        q->a = before;
        if (isatty(2)) fprintf(stderr, "\r\033[K%s, case %d", name, number), bar = 1;
        if (q->late >= LATE_MOST && sum->cases[FAILED]) {
            left++, sum->unexplained++, sum->cases[FAILED]++;
            continue;
        }
        q->tol = tol > 0 ? fmax(tol, fmax(q->least, sizeof(fd_real) == 4 ? 2e-6 : 0)) : 0;
        trial_of(q, name, number);
        sum->cases[q->end]++;
        if (q->end != FAILED) continue;
        for (int j = 0; j < q->found.ids; j++) hint_add(&sum->found, q->found.id[j]);
        sum->unexplained += !q->found.ids;
        if (sum->shown++ >= SHOW_FAILED) continue;
        bar_end();
        printf("%s, case %d (%s): %s\n", name, number,
               value_text(value_get(q->test, "what"), what, sizeof what), q->why);
    }
    q->a = before;
    bar_end();
    if (sum->shown > SHOW_FAILED) printf("%s: and %d more\n", name, sum->shown - SHOW_FAILED);
    if (left)
        printf("%s: cases that were not tried: %d, since %d in a row had no answer in %g s\n", name,
               left, q->late, q->timeout);
}

/* group_hints -- what the failures usually mean: the faults that explain most come first. */
static inline void group_hints(const char *name, const value *group, const tally_of *sum)
{
    const value *notes = value_get(group, "notes");
    int done[MOST_IDS] = { 0 };
    for (int k = 0; k < sum->found.ids; k++) {
        int best = -1;
        char note[400];
        for (int i = 0; i < sum->found.ids; i++)
            if (!done[i] && (best < 0 || sum->found.count[i] > sum->found.count[best])) best = i;
        done[best] = 1;
        value_text(value_get(notes, sum->found.id[best]), note, sizeof note);
        printf("%s: %d of %d failures are what this gives: %s [%s]\n", name,
               sum->found.count[best], sum->cases[FAILED], note, sum->found.id[best]);
    }
    if (sum->unexplained && sum->found.ids)
        printf("%s: %d failures are none of these\n", name, sum->unexplained);
}

/* scratch_dir -- a new folder for what the program under test writes; it goes when fd ends. */
static char scratch_path[1024];
static inline void scratch_remove(void) { remove_all(scratch_path); }
static inline const char *scratch_dir(void)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base) base = "/tmp";
    if (snprintf(scratch_path, sizeof scratch_path, "%s/fd-conform-XXXXXX", base) >= 1000
        || !mkdtemp(scratch_path))
        die(1, "conform: no folder in %s: %s; TMPDIR names another", base, strerror(errno));
    atexit(scratch_remove);
    return scratch_path;
}

static inline int conform_groups(trial *q, const args *o, int total[ENDS])
{
    enum { GROUPS = COUNT(vector_groups) };
    tally_of sum[GROUPS];
    int there = 0, seen[GROUPS] = { 0 };
    for (int g = 0; g < GROUPS && !stopped; g++) {
        fd_arena before = q->a;
        const char *name = vector_groups[g].name;
        if (o->group && strcmp(o->group, name)) continue;
        const value *group = group_read(&q->a, q->dir, name);
        if (!group) continue;
        there += seen[g] = 1;
        group_run(q, name, group, &sum[g]);
        group_hints(name, group, &sum[g]);
        q->a = before;
    }
    if (stopped || !there) return there;
    printf("%-18s %8s %8s %8s %8s\n", "group", "valid", "accepted", "failed", "skipped");
    for (int g = 0; g < GROUPS; g++) {
        if (!seen[g]) continue;
        printf("%-18s", vector_groups[g].name);
        for (int e = 0; e < ENDS; e++) printf(" %8d", sum[g].cases[e]), total[e] += sum[g].cases[e];
        puts("");
    }
    return there;
}

static inline int do_conform(args *o)
{
    fd_status st;
    fd_arena a = arena_make(o, &st);
    char own[1100];
    int total[ENDS] = { 0 };
    struct stat f;
    if (!o->cmd) die(2, "conform: needs --cmd 'program {in} {out}'");
    if (!strstr(o->cmd, "{in}") || !strstr(o->cmd, "{out}"))
        die(2, "--cmd: '%.200s': must hold {in} and {out}, which become the two paths", o->cmd);
    if (strlen(o->cmd) > 4000) die(2, "--cmd: longer than 4000 bytes");
    if (o->file && !stat(o->file, &f) && !S_ISDIR(f.st_mode))
        die(1, "%s: is not a folder; fd vectors -o FOLDER writes one of vectors", o->file);
    if (o->file && access(o->file, R_OK | X_OK))
        die(1, "%s: %s; fd vectors -o %s writes the vectors", o->file, strerror(errno), o->file);
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal), signal(SIGHUP, on_signal);
    const char *work = scratch_dir();
    snprintf(own, sizeof own, "%s/vectors", work);
    if (!o->file) {
        make_folder(own, "");
        vectors_write(a, own, o->group, o->seed);
    }
    trial q = { .a = a, .dir = o->file ? o->file : own, .cmd = o->cmd, .work = work,
               .timeout = o->timeout,
                .least = o->tol };
    int there = conform_groups(&q, o, total);
    if (stopped) die(128 + stopped, "stopped");
    if (!there) die(1, "%s: no vectors%s%s in it; fd vectors -o %s writes them", o->file, o->group
                    ? " of the group " : "", o->group ? o->group : "", o->file);
    int tried = total[PASSED] + total[ACCEPTED] + total[FAILED];
    printf("%d of %d cases pass%s\n", total[PASSED] + total[ACCEPTED], tried, tried ? ""
           : ": the program knows none of them");
    finish();
    return total[FAILED] || !tried;
}
#endif
