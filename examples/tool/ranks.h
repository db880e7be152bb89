/* ranks.h -- the processes of a run under MPI (make MPI=1), or the one that there is without it.
 *
 *     mpirun -n 4 build/mpi/fd train --data images.npy --batch 64 --accumulate 8
 *
 * A batch of training is cut into --accumulate parts, whose gradients are added in the order of the
 * parts, whatever process makes them: the bits of the weights depend on the number of parts, not on
 * that of the processes, which must divide it. Process r makes parts r, r + n, ..; after each round
 * of n parts process r gets the r-th piece of all of them and adds them in order, and at the end
 * every process gets every piece of the sum. With n parts a process sends and receives two
 * gradients, as little as is possible, in 2 (n - 1) messages.
 *
 * All processes read the data, hold the weights and take the same steps; process 0 writes. */
#ifndef RANKS_H
#define RANKS_H
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fd.h"

static int ranks = 1, my_rank;             /* how many processes; which one this is */

static inline void ranks_plus(ptrdiff_t n, const fd_real *x, fd_real *sum)
{
    for (ptrdiff_t i = 0; i < n; i++) sum[i] += x[i];
}

#ifdef FD_MPI
#include <mpi.h>

/* ranks_begin -- only process 0 is heard, but for errors. */
static inline void ranks_begin(int *argc, char ***argv)
{
    MPI_Init(argc, argv);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Comm_rank(MPI_COMM_WORLD, &my_rank);
    if (my_rank && !freopen("/dev/null", "w", stdout)) MPI_Abort(MPI_COMM_WORLD, 1);
}

static inline void ranks_end(void) { MPI_Finalize(); }

/* ranks_wait -- before an error is said: what all processes find wrong, process 0 says, and its end
 * is the end of all. */
static inline void ranks_wait(void) { if (my_rank) sleep(1); }
static inline void ranks_abort(int status) { if (ranks > 1) MPI_Abort(MPI_COMM_WORLD, status); }

/* What this process has spent since ranks_reset: seconds in waiting and in the two halves of the
 * exchange of gradients, the least of one call of each, what a busy machine would take if it were
 * not, calls, and numbers that it has sent. */
enum { SPENT_ADD, SPENT_JOIN };
static struct { double wait, all[2], least[2], numbers; int calls[2]; } ranks_spent;

static inline void ranks_reset(void)
{
    memset(&ranks_spent, 0, sizeof ranks_spent);
    ranks_spent.least[SPENT_ADD] = ranks_spent.least[SPENT_JOIN] = 1e30;
}

static inline void ranks_count(int half, double begin, ptrdiff_t numbers)
{
    const double spent = MPI_Wtime() - begin;
    ranks_spent.all[half] += spent;
    if (spent < ranks_spent.least[half]) ranks_spent.least[half] = spent;
    ranks_spent.calls[half]++;
    ranks_spent.numbers += (double)numbers;
}

/* ranks_piece -- where the r-th of n pieces of so many numbers begins. */
static inline ptrdiff_t ranks_piece(ptrdiff_t count, int r)
{
    return count / ranks * r + (count % ranks < r ? count % ranks : r);
}

/* ranks_add -- sum += the parts [count] of all processes, in their order, on this process's piece
 * of it. room [count + ranks]. */
static inline void ranks_add(ptrdiff_t count, const fd_real *part, fd_real *sum, fd_real *room)
{
    const MPI_Datatype real = sizeof(fd_real) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
    if (ranks == 1) { ranks_plus(count, part, sum); return; }
    const ptrdiff_t own = ranks_piece(count, my_rank), len = ranks_piece(count, my_rank + 1) - own;
    const double begin = MPI_Wtime();
    MPI_Request *q = malloc(2 * (size_t)ranks * sizeof *q);
    if (!q) MPI_Abort(MPI_COMM_WORLD, 1);
    for (int r = 0; r < ranks; r++) {
        ptrdiff_t from = ranks_piece(count, r), to = ranks_piece(count, r + 1);
        MPI_Irecv(room + r * len, (int)len, real, r, 0, MPI_COMM_WORLD, &q[2 * r]);
        MPI_Isend(part + from, (int)(to - from), real, r, 0, MPI_COMM_WORLD, &q[2 * r + 1]);
    }
    MPI_Waitall(2 * ranks, q, MPI_STATUSES_IGNORE);
    free(q);
    for (int r = 0; r < ranks; r++) ranks_plus(len, room + r * len, sum + own);
    ranks_count(SPENT_ADD, begin, count - len);
}

/* ranks_join -- each process's piece of sum [count] to all. */
static inline void ranks_join(ptrdiff_t count, fd_real *sum)
{
    const MPI_Datatype real = sizeof(fd_real) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
    if (ranks == 1) return;
    const double begin = MPI_Wtime();
    int *n = malloc(2 * (size_t)ranks * sizeof *n), *at = n + ranks;
    if (!n) MPI_Abort(MPI_COMM_WORLD, 1);
    for (int r = 0; r < ranks; r++) {
        at[r] = (int)ranks_piece(count, r);
        n[r] = (int)ranks_piece(count, r + 1) - at[r];
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, real, sum, n, at, real, MPI_COMM_WORLD);
    free(n);
    ranks_count(SPENT_JOIN, begin, (ranks - 1) * (count / ranks));
}

/* ranks_sum -- x of all processes, added in their order. */
static inline double ranks_sum(double sum, double x)
{
    const double begin = MPI_Wtime();
    double *all = malloc((size_t)ranks * sizeof *all);
    if (!all) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Allgather(&x, 1, MPI_DOUBLE, all, 1, MPI_DOUBLE, MPI_COMM_WORLD);
    for (int r = 0; r < ranks; r++) sum += all[r];
    free(all);
    ranks_spent.wait += MPI_Wtime() - begin;
    return sum;
}

/* ranks_most -- the largest x of all processes. */
static inline double ranks_most(double x)
{
    MPI_Allreduce(MPI_IN_PLACE, &x, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return x;
}

/* ranks_trip -- seconds, the least of some, that a message of so many bytes takes between the first
 * two processes. */
static inline double ranks_trip(int bytes, int times, char *room)
{
    double least = 1e30;
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < times && my_rank < 2; i++) {
        const double begin = MPI_Wtime();
        for (int j = 0; j < 2; j++)
            if (j == my_rank) MPI_Send(room, bytes, MPI_BYTE, 1 - my_rank, 0, MPI_COMM_WORLD);
            else MPI_Recv(room, bytes, MPI_BYTE, 1 - my_rank, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        const double spent = MPI_Wtime() - begin;
        if (spent < 2 * least) least = spent / 2;
    }
    return least;
}

/* ranks_say -- what the exchange has cost each of so many steps, and what a message costs at best,
 * from which ranks.md says what more processes would cost. */
static inline void ranks_say(int steps, double spent)
{
    enum { LARGE = 1 << 22 };
    char *room = ranks > 1 && steps ? calloc(1, LARGE) : NULL;
    if (!room) return;
    const double latency = ranks_trip(1, 200, room);
    const double rate = LARGE / (ranks_trip(LARGE, 20, room) - latency);
    double all = 0, least = 0, calls = 0;
    free(room);
    for (int i = 0; i < 2; i++) {
        all += ranks_spent.all[i] / steps;
        least += ranks_spent.least[i] * ranks_spent.calls[i] / steps;
        calls += (double)ranks_spent.calls[i] / steps;
    }
    printf("%d processes: of the %.3g ms of a step %.3g are exchange (%.3g on a quiet machine), "
           "%.0f messages\n    and %.3g MB, and %.3g are waiting; at best a message takes %.3g us "
           "and a second %.3g GB\n", ranks, 1e3 * spent / steps, 1e3 * all, 1e3 * least,
           calls * (ranks - 1), 1e-6 * ranks_spent.numbers * (double)sizeof(fd_real) / steps,
           1e3 * ranks_spent.wait / steps, 1e6 * latency, 1e-9 * rate);
}

/* ranks_share -- bytes of the process `from` to all. */
static inline void ranks_share(void *x, ptrdiff_t bytes, int from)
{
    for (char *p = x; bytes > 0; ) {
        int n = bytes < INT_MAX / 2 ? (int)bytes : INT_MAX / 2;
        MPI_Bcast(p, n, MPI_BYTE, from, MPI_COMM_WORLD);
        p += n, bytes -= n;
    }
}
#else
static inline void ranks_begin(int *argc, char ***argv) { (void)argc, (void)argv; }
static inline void ranks_end(void) { }
static inline void ranks_wait(void) { }
static inline void ranks_abort(int status) { (void)status; }
static inline void ranks_add(ptrdiff_t count, const fd_real *part, fd_real *sum, fd_real *room)
{
    (void)room;
    ranks_plus(count, part, sum);
}
static inline void ranks_join(ptrdiff_t count, fd_real *sum) { (void)count, (void)sum; }
static inline double ranks_sum(double sum, double x) { return sum + x; }
static inline double ranks_most(double x) { return x; }
static inline void ranks_reset(void) { }
static inline void ranks_say(int steps, double spent) { (void)steps, (void)spent; }
static inline void ranks_share(void *x, ptrdiff_t bytes, int from)
{
    (void)x, (void)bytes, (void)from;
}
#endif

/* ranks_leave -- what is left to do is process 0's. */
static inline void ranks_leave(void)
{
    if (!my_rank) return;
    ranks_end();
    exit(0);
}
#endif
