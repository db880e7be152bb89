/* starve.h -- comes before every file of the library in V=starve: of all that is taken from arenas,
 * one in the order of taking fails as if the arena had ended there. See starve.c. */
#ifndef STARVE_H
#define STARVE_H
#include "fd.h"
#include <stdlib.h>
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

int disk_fails(void);
#define STBIW_MALLOC(n)     (disk_fails() ? NULL : malloc(n))
#define STBIW_REALLOC(p, n) realloc(p, n)
#define STBIW_FREE(p)       free(p)
#endif
