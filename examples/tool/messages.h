/* messages.h -- what is said to the user: one line on stderr, with status 2 for a wrong command
 * line and 1 for a run that failed; progress; files and folders that cannot be written. */
#ifndef MESSAGES_H
#define MESSAGES_H
#define _DEFAULT_SOURCE                    /* madvise */
#define _POSIX_C_SOURCE 200809L
#include "fd.h"
#include "read.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "ranks.h"

#define COUNT(x) ((int)(sizeof(x) / sizeof *(x)))

static const char *prog = "fd";
static int bar;                            /* is a progress line standing on the terminal? */

static inline void bar_end(void)
{
    if (bar) fputs("\r\033[K", stderr);
    bar = 0;
}

/* die -- names of files and in them may hold anything: what is said stays one line. */
static inline void die(int status, const char *fmt, ...)
{
    char said[4096], line[4096];
    va_list ap;
    fflush(stdout);
    bar_end();
    ranks_wait();
    va_start(ap, fmt);
    vsnprintf(said, sizeof said, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: %s\n", prog, fd_escape(said, line, sizeof line));
    ranks_abort(status);
    exit(status);
}

static inline void need(const fd_status *st)
{
    char why[1100];
    if (!fd_explain(st, why, sizeof why)) return;
    die(1, "%s%s", why, st->code == FD_ENOMEM ? "; give more by --memory" : "");
}

/* need_grid -- the same where a network may not fit the grid. */
static inline void need_grid(const fd_status *st)
{
    char why[256];
    if (fd_explain(st, why, sizeof why) == FD_ESHAPE) die(2, "--grid: %s", why);
    need(st);
}

static inline void wrote(const char *path) { bar_end(); printf("wrote %s\n", path); }

/* finish -- the status of main: 1 where standard output could not be written. Where nobody reads it
 * any more, as in `fd train | head`, the program ends by SIGPIPE as others do, its files
 * written. */
static inline int finish(void)
{
    if (!fflush(stdout) && !ferror(stdout)) return 0;
    int why = errno;
    struct pollfd out = { 1, POLLOUT, 0 };
    if (poll(&out, 1, 0) > 0 && out.revents & POLLERR) {
        bar_end();
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    die(1, "standard output: %s", strerror(why));
    return 1;
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* on_bus -- a mapped file has lost the pages that are being read. */
static inline void on_bus(int sig)
{
    static const char text[] = ": a file became shorter while it was read\n";
    (void)sig;
    if (write(2, prog, strlen(prog)) < 0 || write(2, text, sizeof text - 1) < 0) _exit(1);
    _exit(1);
}

/* start -- what every program does first. A file that grows too large and an output that nobody
 * reads are errors of a write, not the end of the run. And the program starts again with threads
 * that sleep while they wait, unless the user has chosen: libgomp's spin, which makes a run many
 * times slower where other programs want the processors too, and it reads its settings before
 * main. */
static inline void start(const char *name, char **argv)
{
    prog = name;
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGBUS, on_bus);
#if defined(_OPENMP) && defined(__linux__)
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    if (!setenv("OMP_WAIT_POLICY", "passive", 1)) execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}

/* can_write -- is path a file that may be made or replaced? Asked before the work starts, for files
 * are written to a temporary name and renamed, which must not happen to a device. */
static inline void can_write(const char *flag, const char *path)
{
    struct stat f;
    char dir[1024];
    const char *cut = strrchr(path, '/');
    size_t n = cut ? (size_t)(cut - path) : 1;
    /* of 255 that file systems take */
    if (n >= sizeof dir || strlen(cut ? cut + 1 : path) > 240)
        die(1, "--%s: '%.60s...': name too long", flag, path);
    if (!stat(path, &f) && !S_ISREG(f.st_mode))
        die(1, "--%s: '%s': %s", flag, path, S_ISDIR(f.st_mode) ? "is a folder" : "is not a file");
    memcpy(dir, cut ? (n ? path : "/") : ".", n ? n : 1);
    dir[n ? n : 1] = 0;
    if (stat(dir, &f) || access(dir, W_OK | X_OK))
        die(1, "--%s: '%s': %s", flag, path, strerror(errno));
    if (!S_ISDIR(f.st_mode)) die(1, "--%s: '%s': '%s' is not a folder", flag, path, dir);
}

/* in_dir -- the path of a file in a folder; eight of them live at a time. */
static inline const char *in_dir(const char *dir, const char *name)
{
    static char path[8][1024];
    static int k;
    char *p = path[k++ & 7];
    if (snprintf(p, sizeof path[0], "%s/%s", dir, name) >= (int)sizeof path[0])
        die(1, "--outdir: name too long");
    return p;
}

/* progress -- one line that stays in place on a terminal, else a line at each twentieth. */
static inline void progress(const char *what, int k, double done, double loss, double speed,
                            double left)
{
    static double last;
    static int shown = -1;
    int tty = isatty(2), part = (int)(20 * done);
    if (tty ? now() - last < 0.1 && done < 1 : part == shown) return;
    last = now();
    shown = part;
    left = fmin(fmax(left, 0), 359999);
    if (tty) fputs("\r\033[K", stderr);
    fprintf(stderr, "%s %d (%.0f%%)", what, k, 100 * done);
    if (loss >= 0) fprintf(stderr, "  loss %.4g", loss);
    fprintf(stderr, "  %.3g functions/s  %d:%02d left%s", speed, (int)left / 60, (int)left % 60,
            tty ? "" : "\n");
    fflush(stderr);
    bar = tty;
}

/* make_dir -- dir and the folders above it. */
static inline void make_dir(const char *dir)
{
    char part[1024];
    size_t n = strlen(dir);
    if (n >= sizeof part) die(1, "--outdir: name too long");
    for (size_t i = 1; i <= n; i++) {
        if (dir[i] != '/' && dir[i]) continue;
        memcpy(part, dir, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            die(1, "--outdir: '%s': %s", part, strerror(errno));
    }
    can_write("outdir", in_dir(dir, "metrics.csv"));
}

#endif
