/* mcu.c -- functions on a microcontroller: a draw of a random field, a draw of a data law by twenty
 * steps of a sampler with its exact model, a draw of a posterior given three noisy values, and the
 * answer of a small network whose weights stay in flash. Static memory only; no malloc, no stdio.
 * Each is printed as a picture and as the hash of its bits, which is that of every other machine.
 * PART 1 to 4: the first so many of them, to see what each costs. */
#include "fd.h"
#include "board.h"
#include "mcu.h"

#ifndef PART
#define PART 4
#endif
#ifdef FD_PLAIN
#define PLAIN 512                                /* plain transforms want more scratch */
#else
#define PLAIN 0
#endif
#ifndef DESKTOP
#define DESKTOP 0                                /* bytes that products in vectors want to pack */
#endif
enum { N = MCU_N, STEPS = MCU_STEPS, SEEN = 3,
    ROOM = (PART == 1 ? 4416 : PART == 2 ? 8192 : PART == 3 ? 8320 : 19584) + PLAIN + DESKTOP };
static char mem[ROOM];

static void put_number(unsigned long long v, unsigned base)
{
    char s[24], *p = s + sizeof s - 1;
    *p = 0;
    do *--p = "0123456789abcdef"[v % base]; while (v /= base);
    board_put(p);
}

static void show(const char *name, const fd_real *x)
{
    uint64_t sum = 14695981039346656037u;                 /* FNV-1a, the low byte first */
    char row[N + 2];
    for (int i = 0; i < N; i++) {
        uint32_t u;
        memcpy(&u, x + i, 4);
        for (int k = 0; k < 4; k++) sum = (sum ^ (u >> 8 * k & 255)) * 1099511628211u;
    }
    for (int r = 2; r >= -2; r--) {              /* rows of one deviation, the outer ones of more */
        for (int i = 0; i < N; i++) {
            const fd_real v = x[i] > 2 ? 2 : x[i] < -2 ? -2 : x[i];
            row[i] = (int)(v + (fd_real)100.5) - 100 == r ? '*' : r ? ' ' : '-';
        }
        memcpy(row + N, "\n", 2);
        board_put(row);
    }
    board_put(name);
    board_put(": hash ");
    put_number(sum, 16);
    board_put("\n\n");
}

#if PART > 1
static void sample(fd_arena a, const fd_cov *noise, const fd_cov *data)
{
    const fd_process p = fd_vp(noise, 0.1, 20);
    const fd_sampler how = { .p = &p, .model = fd_oracle_gauss(&a, &p, NULL, data), .t = mcu_times,
        .steps = STEPS, .scheme = FD_ANCESTRAL };
    fd_real *x = fd_raw(&a, fd_real, N);
    fd_sample(&how, fd_seed(2), 0, 1, x, a);
    if (x) show("a sample, 20 steps", x);
}
#endif

#if PART > 2
static void condition(fd_arena a, const fd_cov *data)
{
    const double at[SEEN] = { .2, .5, .8 }, y[SEEN] = { 1, -1, 1 };
    fd_obs o = fd_obs_points(&a, &data->s, SEEN, at, NULL);
    fd_obs_noise(&a, &o, .1);
    const fd_posterior *q = fd_posterior_new(&a, NULL, data, &o, y);
    fd_real *x = fd_raw(&a, fd_real, N);
    fd_posterior_draw(q, fd_seed(3), 0, 1, x, a);
    if (x) show("given 1, -1, 1 at .2, .5, .8", x);
}
#endif

#if PART > 3
static void answer(fd_arena a, const fd_cov *data)
{
    fd_real *x = fd_raw(&a, fd_real, N);
    fd_cov_draw(data, fd_seed(4), 0, 1, x, a);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    const fd_net *net = fd_net_over(&a, &mcu_arch, mcu_weights, mcu_count);
    const double time = .5;
    fd_var *y = fd_forward(net, &t, &data->s, fd_input(&t, 3, (int[]){ 1, 1, N }, x), &time);
    if (y) show("the noise that a network sees in a field", y->x);
}
#endif

int main(void)
{
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    const unsigned long began = board_ticks();
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *noise = fd_cov_table(&a, &s, mcu_noise);
    fd_real *x = fd_raw(&a, fd_real, N);
    if (x) fd_cov_draw(noise, fd_seed(1), 0, 1, x, a), show("a random field", x);
#if PART > 1
    fd_cov *data = fd_cov_table(&a, &s, mcu_data);
    sample(a, noise, data);
#endif
#if PART > 2
    condition(a, data);
#endif
#if PART > 3
    answer(a, data);
#endif
    char why[160];
    if (fd_explain(&st, why, sizeof why)) board_put(why), board_put("\n");
    board_note("arena, bytes", (unsigned long)fd_need(&st, mem));
    board_note("ticks", board_ticks() - began);
    return st.code != 0;
}
