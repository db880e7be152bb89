/* starve.h -- comes before every file of the library in V=starve: of all that is taken from arenas,
 * one in the order of taking fails as if the arena had ended there; of all that is asked of the
 * system for files, one in the order of asking fails as if a disk were broken. See starve.c. */
#ifndef STARVE_H
#define STARVE_H
#include "fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
extern long starve_left;                   /* 1: the next one fails; 0: none */
static inline void *starve_take(fd_arena *a, size_t count, size_t size)
{
    if (starve_left && !a->st->code && !--starve_left) {
        FD_FAIL(a->st, FD_ENOMEM, "fd_alloc", "starved: elements, bytes each", count, size);
        return NULL;
    }
    return fd_take(a, count, size);
}

static inline void *starve_alloc(fd_arena *a, size_t count, size_t size)
{
    void *p = starve_take(a, count, size);
    return p ? memset(p, 0, count * size) : NULL;
}
#define fd_take  starve_take
#define fd_alloc starve_alloc

extern long disk_left;                     /* the same for calls of the system */
extern int disk_taken, disk_unmapped;      /* every name of a new file is; no file can be mapped */
static inline int disk_fails(void)
{
    if (!disk_left || --disk_left) return 0;
    errno = EIO;
    return 1;
}
/* the call is made all the same where it frees something */
#define fopen(path, how)    (disk_fails() ? NULL : fopen(path, how))
#define fdopen(fd, how)     (disk_fails() ? NULL : fdopen(fd, how))
#define open(path, how, may) (disk_taken ? (errno = EEXIST, -1) : disk_fails() ? -1 \
                             : open(path, how, may))
#define fseek(f, at, from)  (disk_fails() ? -1 : fseek(f, at, from))
#define ftell(f)            (disk_fails() ? -1 : ftell(f))
#define fread(p, size, n, f)  (disk_fails() ? 0 : fread(p, size, n, f))
#define fwrite(p, size, n, f) (disk_fails() ? 0 : fwrite(p, size, n, f))
#define fflush(f)           (disk_fails() ? EOF : fflush(f))
#define fsync(fd)           (disk_fails() ? -1 : fsync(fd))
#define fclose(f)           (disk_fails() ? (fclose(f), EOF) : fclose(f))
#define rename(from, to)    (disk_fails() ? -1 : rename(from, to))
#define mmap(p, n, may, how, fd, at) (disk_unmapped ? MAP_FAILED : mmap(p, n, may, how, fd, at))
#define STBIW_MALLOC(n)     (disk_fails() ? NULL : malloc(n))
#define STBIW_REALLOC(p, n) realloc(p, n)
#define STBIW_FREE(p)       free(p)
#endif
