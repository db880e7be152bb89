/* client.h -- what fd conform needs to run somebody's program: JSON, and a process that may crash
 * or hang. */
#ifndef CLIENT_H
#define CLIENT_H
#include "vectors.h"
#include <dirent.h>
#include <sys/wait.h>

/* ---- JSON: a whole text as values, by the rules of read.h ------------------------------------ */

typedef struct value value;
struct value {
    const char *key, *text;                /* in an object; of a string, or NULL */
    double number;                         /* of a number */
    int members;                           /* '{' or '[', or 0 */
    value *first, *next;                   /* of these; the value after this one */
};

/* value_read -- the value at j, in a: NULL, and j->bad, where it is none. */
static inline value *value_read(fd_arena *a, json *j, int depth)
{
    value *v = fd_new(a, value, 1), **link = v ? &v->first : NULL;
    json_space(j);
    if (!v || depth > 30) j->bad = 1;
    else if (*j->p == '"') v->text = json_string(j);
    else if (*j->p == '{' || *j->p == '[') {
        const char close = *j->p == '{' ? '}' : ']';
        v->members = *j->p++;
        if (json_take(j, close)) return v;
        do {
            const char *own = v->members == '{' ? json_string(j) : NULL;
            if (v->members == '{') json_need(j, ':');
            *link = value_read(a, j, depth + 1);
            if (!*link) return NULL;
            (*link)->key = own;
            link = &(*link)->next;
        } while (json_take(j, ','));
        json_need(j, close);
    } else {
        char *end;
        v->number = strtod(j->p, &end);
        j->bad |= end == j->p;
        j->p = end;
    }
    return j->bad ? NULL : v;
}

/* value_get -- the value of a key of an object; value_item -- the i-th of a list; NULL: there is
 * none. */
static inline const value *value_get(const value *v, const char *name)
{
    v = v && v->members == '{' ? v->first : NULL;
    while (v && strcmp(v->key, name)) v = v->next;
    return v;
}
static inline const value *value_item(const value *v, int i)
{
    v = v && v->members == '[' ? v->first : NULL;
    while (v && i-- > 0) v = v->next;
    return v;
}
static inline char *value_text(const value *v, char *to, size_t room)
{
    snprintf(to, room, "%s", v && v->text ? v->text : "");
    return to;
}
static inline double value_number(const value *v, double otherwise)
{
    return v && !v->text && !v->members ? v->number : otherwise;
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
static inline void command_of(const char *cmd, const char *in, const char *out, char *to,
                              size_t room)
{
    text_of t = { to, 0, room };
    for (; *cmd; cmd++) {
        if (!strncmp(cmd, "{in}", 4)) quoted(&t, in), cmd += 3;
        else if (!strncmp(cmd, "{out}", 5)) quoted(&t, out), cmd += 4;
        else say(&t, "%c", *cmd);
    }
}

enum { RUN_LATE = -1, RUN_KILLED = -2 };

/* run_program -- its status, or RUN_..; what it says goes to the file `log`. The program is a group
 * of processes of its own: what is left of the group when it ends is killed. */
static inline int run_program(const char *command, const char *log, double timeout, int *sig)
{
    fflush(stdout);                            /* or the child would print it again */
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
    kill(-pid, SIGKILL);
    if (WIFSIGNALED(status)) *sig = WTERMSIG(status);
    else if (WEXITSTATUS(status) > 128 && WEXITSTATUS(status) < 128 + 32) *sig = WEXITSTATUS(status)
        - 128;
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
#endif
