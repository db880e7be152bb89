/* cases_grids.h -- cases of fd vectors: the same function on another grid, and at any places. */
#ifndef CASES_GRIDS_H
#define CASES_GRIDS_H
#include "cases_transforms.h"

enum { GRID_N = 16 };

/* grid_e -- mode j of an axis of length 1 with n points at x; grid_point -- its point i. */
static inline double grid_e(int bc, int n, int j, double x)
{
    if (bc == FD_NEUMANN) return j ? sqrt(2) * cos(TURN / 2 * j * x) : 1;
    if (bc == FD_DIRICHLET) return sqrt(2) * sin(TURN / 2 * (j + 1) * x);
    if (bc == FD_MIXED) return sqrt(2) * sin(TURN / 2 * (j + .5) * x);
    if (!j) return 1;
    if (n % 2 == 0 && j == n - 1) return cos(TURN / 2 * n * x);
    return sqrt(2) * (j % 2 ? cos(TURN * (double)((j + 1) / 2) * x) : sin(TURN * (j / 2.) * x));
}
static inline double grid_point(int bc, int n, int i)
{
    return bc == FD_PERIODIC ? (double)i / n : bc == FD_DIRICHLET ? (i + 1.) / (n + 1)
         : (i + .5) / n;
}

/* grid_linear -- R [m][n]: linear interpolation at the places p, in numbers of points. */
static inline void grid_linear(int bc, int n, int m, const double *p, double *R)
{
    memset(R, 0, (size_t)(m * n) * sizeof *R);
    for (int i = 0; i < m; i++) {
        double at = bc == FD_PERIODIC ? p[i] : fmax(0, fmin(n - 1, p[i]));
        int j = (int)floor(at), next = bc == FD_PERIODIC ? (j + 1) % n : j + 1 < n ? j + 1 : j;
        R[i * n + j] += 1 - (at - j), R[i * n + next] += at - j;
    }
}

/* grid_matrix -- R [m][n], values at the m places of an axis with n points from those at its own,
 * by the fault id; grid 1: the places are the points of a grid with a Nyquist mode of its own. */
static inline void grid_matrix(const char *id, int bc, int n, int m, const double *at, int grid,
                               double *R)
{
    const int even = bc == FD_PERIODIC && n % 2 == 0, kept = !strcmp(id, "nyquist-kept");
    const int twice = !strcmp(id, "nyquist-twice"), most = grid && m < n ? m : n;
    const double nyquist_w = kept ? 1 : twice && m > n ? 2
                           : !strcmp(id, "nyquist-half") && grid && m < n ? .5 : 0;
    double p[GRID_N], h = bc == FD_DIRICHLET ? n + 1 : n;
    for (int i = 0; i < m; i++)
        p[i] = !strcmp(id, "corners") ? i * (n - 1.) / (m - 1)
             : bc == FD_PERIODIC ? at[i] * n : bc == FD_DIRICHLET ? at[i] * h - 1 : at[i] * n - .5;
    if (!strcmp(id, "linear") || !strcmp(id, "corners")) {
        grid_linear(bc, n, m, p, R);
        return;
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < most; k++) {
                int nyquist = (even && k == n - 1) || (grid && bc == FD_PERIODIC && m % 2 == 0
                                                       && k == m - 1);
                double w = nyquist ? nyquist_w : 1;
                int as = !strcmp(id, "as-periodic") ? FD_PERIODIC : bc;
                double from = as == bc ? grid_point(bc, n, j) : (double)j / n;
                double to = as == bc ? at[i] : p[i] / n;
                if (w > 0) sum += w * grid_e(as, n, k, from) * grid_e(as, n, k, to);
            }
            R[i * n + j] = sum / h * (!strcmp(id, "no-scale") && grid ? (double)n / m : 1);
        }
}

/* The first two after the answer are conventions. */
static const char *const grid_wrong[] = { "", "nyquist-kept", "nyquist-half", "nyquist-twice",
                                          "no-scale", "linear", "corners", "as-periodic" };

/* grid_case -- from n to m points on one or two axes. */
static inline void grid_case(casebook *q, int nd, const int n[], const int m[], const int bc[])
{
    double R[2][GRID_N * GRID_N] = { { 1 }, { 1 } }, y[GRID_N * GRID_N], at[GRID_N];
    int odd = 0, ny = 0, N[2] = { n[0], nd > 1 ? n[1] : 1 }, M[2] = { m[0], nd > 1 ? m[1] : 1 };
    char flags[80];
    for (int i = 0; i < nd; i++) {
        odd |= n[i] % 2 || m[i] % 2;
        ny |= bc[i] == FD_PERIODIC && (n[i] % 2 == 0 || m[i] % 2 == 0);
    }
    snprintf(flags, sizeof flags, "Axes%d%s%s", nd, odd ? " OddGrid" : "", ny ? " Nyquist" : "");
    case_begin(q, ny ? ACCEPTABLE : VALID, "[Thesis eqs. 3.65-3.67, corrected]", flags,
               "the function of %d%s points on %d%s, %s: modes that both have, Nyquist modes left "
               "out%s", (int)count_of(nd, n), nd > 1 ? " (two axes)" : "", (int)count_of(nd, m),
               nd > 1 ? " (two axes)" : "", t_boundary.rows[bc[0]].name, ny ? " or kept" : "");
    q->tol *= 5;
    fd_space s = fd_grid(&q->mem, nd, n, NULL, bc, 1), t = fd_grid(&q->mem, nd, m, NULL, bc, 1);
    const fd_real *x = normals(q, count_of(nd, n));
    fd_real *z = fd_raw(&q->mem, fd_real, count_of(nd, m));
    need(q->mem.st);
    fd_resample(&s, &t, 1, x, z, q->mem);
    need(q->mem.st);
    param_text(q, "want", "resample");
    param_list(q, "n", nd, m);
    for (int i = 0; i < nd; i++)
        param_text(q, i ? "boundary1" : "boundary", t_boundary.rows[bc[i]].name);
    put_in(q, "x", nd, n, x);
    for (int f = 0; f < COUNT(grid_wrong); f++) {
        for (int d = 0; d < nd; d++) {
            for (int i = 0; i < m[d]; i++) at[i] = grid_point(bc[d], m[d], i);
            grid_matrix(grid_wrong[f], bc[d], n[d], m[d], at, 1, R[d]);
        }
        for (int i = 0; i < M[0] * M[1]; i++) {
            y[i] = 0;
            for (int j = 0; j < N[0] * N[1]; j++)
                y[i] += R[0][i / M[1] * N[0] + j / N[1]] * R[1][i % M[1] * N[1] + j % N[1]]
                      * (double)x[j];
        }
        if (!f) agree(q, count_of(nd, m), z, y), put_out(q, "y", nd, m, z);
        else if (f > 2) fault(q, grid_wrong[f], "y", y);
        else if (ny) put_other(q, 1, grid_wrong[f], "y", reals(q, count_of(nd, m), y));
    }
    case_end(q);
}

/* place_case -- values at any places of an axis. */
static inline void place_case(casebook *q, int n, int bc)
{
    enum { M = 5 };
    static const double at[M] = { .03, .21, .5, .777, .9 };
    const int m = M, ny = bc == FD_PERIODIC && n % 2 == 0;
    double R[GRID_N * GRID_N], y[M], u[M];
    case_begin(q, ny ? ACCEPTABLE : VALID, "", ny ? "Nyquist" : n % 2 ? "OddGrid" : "",
               "the function of %d points (%s) at other places%s", n, t_boundary.rows[bc].name,
               ny ? ", without its Nyquist mode or with it" : "");
    q->tol *= 5;
    fd_space s = fd_grid(&q->mem, 1, &n, NULL, &bc, 1);
    const fd_real *x = normals(q, n);
    fd_real *E = fd_raw(&q->mem, fd_real, M * n), *z = fd_raw(&q->mem, fd_real, n);
    need(q->mem.st);
    fd_modes_at(&s, M, at, NULL, E);
    fd_to_modes(&s, 1, x, z, q->mem);
    need(q->mem.st);
    for (int i = 0; i < M; i++) {
        u[i] = 0;
        for (int k = 0; k < n; k++) u[i] += (double)E[i * n + k] * (double)z[k];
    }
    param_text(q, "want", "places");
    param_text(q, "boundary", t_boundary.rows[bc].name);
    put_in(q, "x", 1, &n, x);
    put_in_d(q, "at", 1, &m, at);
    for (int f = 0; f < COUNT(grid_wrong); f++) {
        if (!strcmp(grid_wrong[f], "corners")) continue;
        grid_matrix(grid_wrong[f], bc, n, M, at, 0, R);
        for (int i = 0; i < M; i++) {
            y[i] = 0;
            for (int j = 0; j < n; j++) y[i] += R[i * n + j] * (double)x[j];
        }
        if (!f) agree(q, M, reals(q, M, u), y), put_out_d(q, "y", 1, &m, u);
        else if (f > 2) fault(q, grid_wrong[f], "y", y);
        else if (ny) put_other(q, 1, grid_wrong[f], "y", reals(q, M, y));
    }
    case_end(q);
}

static inline void group_grids(casebook *q)
{
    static const struct { int n, m, bc; } way[] = {
        { 8, 12, FD_PERIODIC }, { 7, 12, FD_PERIODIC }, { 12, 8, FD_PERIODIC },
        { 9, 7, FD_PERIODIC }, { 8, 13, FD_NEUMANN }, { 12, 7, FD_NEUMANN },
        { 7, 10, FD_DIRICHLET }, { 8, 6, FD_MIXED } };
    if (!group_begin(q, "grids", "the same function on finer, coarser and odd grids, and at any "
                     "places")) return;
    for (int i = 0; i < COUNT(way); i++) grid_case(q, 1, &way[i].n, &way[i].m, &way[i].bc);
    grid_case(q, 2, (int[]){ 8, 5 }, (int[]){ 12, 8 }, (int[]){ FD_PERIODIC, FD_PERIODIC });
    grid_case(q, 2, (int[]){ 7, 6 }, (int[]){ 9, 8 }, (int[]){ FD_PERIODIC, FD_NEUMANN });
    place_case(q, 8, FD_PERIODIC), place_case(q, 7, FD_PERIODIC), place_case(q, 8, FD_NEUMANN);
    group_end(q);
}
#endif
