/* client.h -- what fd conform needs to run somebody's program: JSON as far as vectors have it, and
 * a process that may crash or hang. */
#ifndef CLIENT_H
#define CLIENT_H
#include "vectors.h"
#include <dirent.h>
#include <sys/wait.h>

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

/* value_get -- the value of a key of an object; value_item -- the i-th of a list; NULL: there is
 * none. The text as a whole has been seen to be right. */
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
