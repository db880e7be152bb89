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

/* Seconds in the exchange of gradients and in waiting for others, since ranks_reset. */
static double ranks_exchange, ranks_idle;
static inline void ranks_reset(void) { ranks_exchange = ranks_idle = 0; }

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
    ranks_exchange += MPI_Wtime() - begin;
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
    ranks_exchange += MPI_Wtime() - begin;
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
    ranks_idle += MPI_Wtime() - begin;
    return sum;
}

/* ranks_most -- the largest x of all processes. */
static inline double ranks_most(double x)
{
    MPI_Allreduce(MPI_IN_PLACE, &x, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return x;
}

/* ranks_trip -- seconds that a message of so many bytes takes between the first two processes. */
static inline double ranks_trip(int bytes, int times, char *room)
{
    const int other = 1 - my_rank;
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = MPI_Wtime();
    for (int i = 0; i < 2 * times && my_rank < 2; i++)
        if (i % 2 == my_rank) MPI_Send(room, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD);
        else MPI_Recv(room, bytes, MPI_BYTE, other, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return (MPI_Wtime() - begin) / (2 * times);
}

/* ranks_say -- what the exchange has cost a step with weights of so many bytes, and what a message
 * costs, from which ranks.md says what more processes would cost. */
static inline void ranks_say(int steps, double spent, double weights)
{
    enum { LARGE = 1 << 22 };
    char *room = ranks > 1 ? calloc(1, LARGE) : NULL;
    if (!room || !steps) { free(room); return; }
    ranks_trip(LARGE, 2, room);
    const double latency = ranks_trip(1, 100, room);
    const double rate = LARGE / (ranks_trip(LARGE, 10, room) - latency);
    free(room);
    printf("%d processes: of the %.3g ms of a step %.3g are exchange, 2 x %d messages and 2 x %.3g "
           "MB,\n    and %.3g are waiting; a message takes %.3g us and %.3g GB/s\n", ranks,
           1e3 * spent / steps, 1e3 * ranks_exchange / steps, ranks - 1,
           1e-6 * weights * (ranks - 1) / ranks, 1e3 * ranks_idle / steps, 1e6 * latency,
           1e-9 * rate);
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
static inline void ranks_say(int steps, double spent, double weights)
{
    (void)steps, (void)spent, (void)weights;
}
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
