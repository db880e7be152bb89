/* static.c -- how do functions come from a static buffer, without heap, files or a terminal?
 *
 * The buffer below is all the memory that is used. fd_need says after a run how much of it was,
 * for so many threads and this width of vectors, so that it can be cut to that; one that is too
 * small ends in a status that says so, and nothing is written beyond it. With -DFD_NO_STDIO the
 * library has no files either, and its three parts without networks fit a microcontroller. What is
 * printed are 4 of the 32 numbers: with make V=strict they are the same bits on every machine. */
#include "fd.h"
#include <stdio.h>

enum { N = 32, STEPS = 20 };

static int draw(void *mem, size_t size, fd_real x[N], fd_status *st)
{
    double     t[STEPS + 1];
    fd_arena   a     = fd_arena_over(mem, size, st);
    fd_space   s     = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_cov    *noise = fd_cov_matern(&a, &s, 1.0, 0.1, 1.5);
    fd_process p     = fd_vp(noise, 0.1, 20.0);
    fd_model   best  = fd_oracle_gauss(&a, &p, NULL, fd_cov_matern(&a, &s, 1.0, 0.3, 2.5));
    fd_times(&p, FD_LOGSNR, 0, STEPS, t, st);
    fd_sampler how = { .p = &p, .model = best, .t = t, .steps = STEPS, .scheme = FD_DDIM };
    fd_sample(&how, fd_seed(1), 0, 1, x, a);
    return st->code;
}

int main(void)
{
    static char mem[1 << 18];
    fd_real     x[N], again[N];
    fd_status   st;
    char        why[160];
    draw(mem, sizeof mem, x, &st);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "static: %s\n", why), 1;
    size_t need = fd_need(&st, mem);
    printf("a function on %d points: %.4f %.4f %.4f %.4f ..\n", N, (double)x[0], (double)x[1],
           (double)x[2], (double)x[3]);
    int code = draw(mem, need, again, &st);
    printf("it needs %zu bytes: %s\n", need,
           code || memcmp(x, again, sizeof x) ? "no" : "the same bits in them");
    if (!draw(mem, need - 64, again, &st)) return puts("64 bytes fewer were enough"), 1;
    fd_explain(&st, why, sizeof why);
    printf("64 bytes fewer: %s\n", why);
    return 0;
}
