/* pde.h -- forward models of the papers' inverse problems: Darcy flow, Poisson and Helmholtz,
 * vorticity in two dimensions, Burgers, the Radon transform, each with its adjoint; Mogi's source,
 * signed distances. Numbers at cells are double, functions on periodic grids fd_real; memory comes
 * from the arena. An observation of the library is made of one by two functions (operator.c). */
#ifndef PDE_H
#define PDE_H
#include "fd.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pde_pi = 3.14159265358979323846;
static const double pde_c_band = 5.5466e-5;            /* wave length of Sentinel-1's radar, km */

/* Programs are compiled with -O1; the loops of this file are worth vectors. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize("O3")
#endif

/* ---- Darcy flow: -div(a grad u) = f on the unit square, u = 0 on its boundary -------------------
 *
 * [DiffusionPDE eq. 10] Cells (i, j), h = 1/n. Through a face between cells with a and b flows
 * t (u_a - u_b),
 *
 *     t = 2ab/(a + b)   PDE_HARMONIC          t = (a + b)/2   PDE_ARITHMETIC
 *
 * and 2a u through a face of the boundary: sum over the faces of a cell = h^2 f. The two differ by
 * some per cent where a jumps: never mix data of one with inversion by the other. [FNO]'s data are
 * by arithmetic means between nodes.
 *
 * Solved by conjugate gradients, preconditioned by the diagonal or by a V-cycle of multigrid in
 * float: on the coarser grid a face has half the sum of the two t below it (piecewise constant
 * functions are too stiff by that factor), smoothing is one sweep of Gauss and Seidel over the
 * cells of a chessboard, red and then black, and back on the way up, so that the cycle is
 * symmetric.
 *
 * The cells of a colour lie side by side, so that all loops are over neighbours in memory: the cell
 * (i, j) has the colour c = (i + j) % 2 and is number p = j/2 of row i of it; the cell below is
 * number p of the other colour's next row, those to the left and right are its numbers p + e - 1
 * and p + e of row i, e = (i + c) % 2. Rows have a frame of zeros, and n is rounded up to even:
 * what is outside has no faces. */

enum { PDE_HARMONIC = 1, PDE_ARITHMETIC };
enum { PDE_PLAIN = 1, PDE_JACOBI, PDE_MULTIGRID };
enum { PDE_LEVELS = 16, PDE_LANES = 8 };

/* x, y: t of the faces above and to the left; out: of the boundary's; d: 1 over the sum of all */
typedef struct { int n, w; ptrdiff_t size; float *x, *y, *out, *d, *u, *r, *line; } pde_level;
typedef struct {
    int n, levels, precond;
    double tol, *x, *y, *sum;              /* of the finest level; sum: of t */
    pde_level at[PDE_LEVELS];
} pde_darcy;

/* where row i of colour c begins, -1 <= i <= n */
static inline ptrdiff_t pde_row(const pde_level *l, int c, int i)
{
    return c * (l->size / 2) + (ptrdiff_t)(i + 1) * l->w + PDE_LANES;
}

static inline void pde_level_new(fd_arena *m, pde_level *l, int n)
{
    const int cells = (n + 1) / 2, lanes = (cells + PDE_LANES - 1) / PDE_LANES * PDE_LANES;
    const ptrdiff_t size = 2 * ((ptrdiff_t)(2 * cells + 2) * (lanes + PDE_LANES) + 2 * PDE_LANES);
    float *all = fd_new(m, float, 6 * size + 2 * (lanes + PDE_LANES));
    *l = (pde_level){ .n = 2 * cells, .w = lanes + PDE_LANES, .size = size };
    if (!all) return;
    l->x = all, l->y = all + size, l->out = all + 2 * size, l->d = all + 3 * size;
    l->u = all + 4 * size, l->r = all + 5 * size, l->line = all + 6 * size;
}

/* What the cells of colour c in row i get from those around them, of u: for p up to a multiple of
 * PDE_LANES. */
#define PDE_AROUND(real, l, X, Y, u, c, i)                                 \
    const int w_ = (l)->w, e_ = ((i) + (c)) % 2;                           \
    const real *restrict v_ = (u) + pde_row(l, 1 - (c), i);                \
    const real *restrict x_ = (X) + pde_row(l, c, i);                      \
    const real *restrict z_ = (X) + pde_row(l, 1 - (c), (i) + 1);          \
    const real *restrict y_ = (Y) + pde_row(l, c, i);                      \
    const real *restrict q_ = (Y) + pde_row(l, 1 - (c), i) + e_, *o_ = v_ + e_
#define PDE_GOT(p) (x_[p] * v_[p - w_] + z_[p] * v_[p + w_] + y_[p] * o_[p - 1] + q_[p] * o_[p])

/* d = 1/sum of the t of a cell, 0 outside */
static inline void pde_diagonal(pde_level *l)
{
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < l->n; i++) {
            const ptrdiff_t at = pde_row(l, c, i), other = pde_row(l, 1 - c, i) + (i + c) % 2;
            for (int p = 0; p < l->n / 2; p++) {
                float sum = l->x[at + p] + l->x[pde_row(l, 1 - c, i + 1) + p] + l->y[at + p]
                          + l->y[other + p] + l->out[at + p];
                l->d[at + p] = sum > 0 ? 1 / sum : 0;
            }
        }
}

/* the faces of level q from those of the one above it */
static inline void pde_coarsen(pde_level *c, const pde_level *f)
{
    for (int i = 0; i < f->n / 2; i++)
        for (int j = 0; j < f->n / 2; j++) {
            const ptrdiff_t to = pde_row(c, (i + j) % 2, i) + j / 2;
            const ptrdiff_t red = pde_row(f, 0, 2 * i) + j, black = pde_row(f, 1, 2 * i) + j;
            const ptrdiff_t below = pde_row(f, 1, 2 * i + 1) + j;
            const ptrdiff_t last = pde_row(f, 0, 2 * i + 1) + j;
            c->x[to] = .5f * (f->x[red] + f->x[black]);
            c->y[to] = .5f * (f->y[red] + f->y[below]);
            c->out[to] = .5f * (f->out[red] + f->out[black] + f->out[below] + f->out[last]);
        }
    pde_diagonal(c);
}

/* pde_darcy_new -- for a coefficient a [n][n], positive. tol: of the residual, relative. */
static inline pde_darcy *pde_darcy_new(fd_arena *m, int n, int faces, int precond, double tol,
                                       const double *a)
{
    pde_darcy *p = fd_new(m, pde_darcy, 1);
    double most = 0;
    if (!p) return NULL;
    for (int i = 0; i < n * n; i++) {
        if (!(a[i] > 0 && isfinite(a[i]))) {
            FD_FAIL(m->st, FD_EDATA, "pde_darcy_new", "a coefficient is not positive; cell", i);
            return NULL;
        }
        if (a[i] > most) most = a[i];
    }
    p->n = n, p->precond = precond, p->tol = tol;
    for (int k = n; p->levels < PDE_LEVELS; k = (k + 1) / 2) {
        pde_level_new(m, &p->at[p->levels++], k);
        if (precond != PDE_MULTIGRID || k <= 4) break;
    }
    pde_level *l = p->at;
    p->x = fd_new(m, double, l->size), p->y = fd_new(m, double, l->size);
    p->sum = fd_new(m, double, l->size);
    if (!p->sum) return NULL;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const ptrdiff_t at = pde_row(l, (i + j) % 2, i) + j / 2;
            const double v = a[i * n + j], up = i ? a[(i - 1) * n + j] : 0;
            const double left = j ? a[i * n + j - 1] : 0;
            const int sides = (i == 0) + (i == n - 1) + (j == 0) + (j == n - 1);
            if (i) p->x[at] = faces == PDE_HARMONIC ? 2 * v * up / (v + up) : .5 * (v + up);
            if (j) p->y[at] = faces == PDE_HARMONIC ? 2 * v * left / (v + left) : .5 * (v + left);
            p->sum[at] = 2 * v * sides;
        }
    for (ptrdiff_t k = 0; k < l->size; k++) {
        l->x[k] = (float)(p->x[k] / most), l->y[k] = (float)(p->y[k] / most);
        l->out[k] = (float)(p->sum[k] / most);
    }
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < l->n; i++) {
            const ptrdiff_t at = pde_row(l, c, i), other = pde_row(l, 1 - c, i) + (i + c) % 2;
            for (int k = 0; k < l->n / 2; k++)
                p->sum[at + k] += p->x[at + k] + p->x[pde_row(l, 1 - c, i + 1) + k] + p->y[at + k]
                                  + p->y[other + k];
        }
    pde_diagonal(l);
    for (int q = 1; q < p->levels; q++) pde_coarsen(&p->at[q], &p->at[q - 1]);
    return p;
}

/* y = L u, h^2 times the operator; returns <u, y> */
static inline double pde_darcy_apply(const pde_darcy *p, const double *u, double *y)
{
    const pde_level *l = p->at;
    double sum[PDE_LANES] = { 0 }, all = 0;
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < l->n; i++) {
            PDE_AROUND(double, l, p->x, p->y, u, c, i);
            const ptrdiff_t at = pde_row(l, c, i);
            const double *own = u + at, *s = p->sum + at;
            double *restrict to = y + at;
            for (int b = 0; b < l->n / 2; b += PDE_LANES)
                for (int k = 0; k < PDE_LANES; k++) {
                    const double got = s[b + k] * own[b + k] - PDE_GOT(b + k);
                    to[b + k] = got, sum[k] += got * own[b + k];
                }
        }
    for (int k = 0; k < PDE_LANES; k++) all += sum[k];
    return all;
}

/* the cells of one colour */
static inline void pde_sweep(const pde_level *l, const float *r, float *u, int c)
{
    for (int i = 0; i < l->n; i++) {
        PDE_AROUND(float, l, l->x, l->y, u, c, i);
        const ptrdiff_t at = pde_row(l, c, i);
        const float *d = l->d + at, *b = r + at;
        float *restrict to = u + at;
        for (int p = 0; p < l->w - PDE_LANES; p++) to[p] = d[p] * (b[p] + PDE_GOT(p));
    }
}

/* pde_cycle -- u = about L^-1 r on level q. After red from u = 0 and black, what is left of r is at
 * the red cells, and is what black sends them; black on the way up needs red cells only. */
static inline void pde_cycle(const pde_darcy *p, int q, const float *r)
{
    const pde_level *l = &p->at[q], *c = l + 1;
    float *u = l->u, *line = l->line;
    const int last = q + 1 == p->levels;
    for (ptrdiff_t k = 0; k < l->size / 2; k++) u[k] = l->d[k] * r[k];
    pde_sweep(l, r, u, 1);
    if (last)
        for (int k = 0; k < 7; k++) pde_sweep(l, r, u, 0), pde_sweep(l, r, u, 1);
    for (int i = 0; i < l->n / 2 && !last; i++) {
        float *even = c->r + pde_row(c, i % 2, i), *odd = c->r + pde_row(c, 1 - i % 2, i);
        for (int half = 0; half < 2; half++) {
            PDE_AROUND(float, l, l->x, l->y, u, 0, 2 * i + half);
            if (half) for (int k = 0; k < l->w - PDE_LANES; k++) line[k] += PDE_GOT(k);
            else for (int k = 0; k < l->w - PDE_LANES; k++) line[k] = PDE_GOT(k);
        }
        line[l->n / 2] = 0;
        for (int k = 0; k < c->n / 2; k++) even[k] = line[2 * k], odd[k] = line[2 * k + 1];
    }
    if (!last) pde_cycle(p, q + 1, c->r);
    for (int i = 0; i < l->n / 2 && !last; i++) {
        const float *even = c->u + pde_row(c, i % 2, i), *odd = c->u + pde_row(c, 1 - i % 2, i);
        float *to = u + pde_row(l, 0, 2 * i);
        for (int k = 0; k < c->n / 2; k++) line[2 * k] = even[k], line[2 * k + 1] = odd[k];
        for (int k = 0; k < l->n / 2; k++) to[k] += line[k], to[k + l->w] += line[k];
    }
    if (last)
        for (int k = 0; k < 7; k++) pde_sweep(l, r, u, 1), pde_sweep(l, r, u, 0);
    pde_sweep(l, r, u, 1), pde_sweep(l, r, u, 0);
}

static inline double pde_dot(ptrdiff_t n, const double *x, const double *y)
{
    double sum[PDE_LANES] = { 0 }, all = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum[i % PDE_LANES] += x[i] * y[i];
    for (int k = 0; k < PDE_LANES; k++) all += sum[k];
    return all;
}

/* <x, y> of doubles and floats, n a multiple of PDE_LANES */
static inline double pde_mixed_dot(ptrdiff_t n, const double *x, const float *y)
{
    double sum[PDE_LANES] = { 0 }, all = 0;
    for (ptrdiff_t i = 0; i < n; i += PDE_LANES)
        for (int k = 0; k < PDE_LANES; k++) sum[k] += x[i + k] * (double)y[i + k];
    for (int k = 0; k < PDE_LANES; k++) all += sum[k];
    return all;
}

/* x += step d, r -= step y, e = r; returns |r|^2 */
static inline double pde_descend(ptrdiff_t n, double step, const double *d, const double *y,
                                 double *restrict x, double *restrict r, float *restrict e)
{
    double sum[PDE_LANES] = { 0 }, all = 0;
    for (ptrdiff_t i = 0; i < n; i += PDE_LANES)
        for (int k = 0; k < PDE_LANES; k++) {
            const double left = r[i + k] - step * y[i + k];
            x[i + k] += step * d[i + k], r[i + k] = left, e[i + k] = (float)left;
            sum[k] += left * left;
        }
    for (int k = 0; k < PDE_LANES; k++) all += sum[k];
    return all;
}

/* pde_darcy_solve -- u with L u/h^2 = f, f and u [n][n]; returns the iterations, or 0 with FD_ENAN
 * where they do not converge. The matrix is symmetric: adjoint problems are the same. */
static inline int pde_darcy_solve(const pde_darcy *p, const double *f, double *u, fd_arena scratch)
{
    const int n = p->n;
    const pde_level *l = p->at;
    const ptrdiff_t all = l->size;
    double *r = fd_new(&scratch, double, all), *x = fd_new(&scratch, double, all);
    double *d = fd_new(&scratch, double, all), *y = fd_new(&scratch, double, all), rz = 0;
    float *e = fd_new(&scratch, float, all);
    const float *z = p->precond == PDE_PLAIN ? e : l->u;
    if (!e) return 0;
    const double size = sqrt(pde_dot((ptrdiff_t)n * n, f, f)), unit = size > 0 ? 1 / size : 1;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) r[pde_row(l, (i + j) % 2, i) + j / 2] = unit * f[i * n + j];
    double left = pde_descend(all, 0, d, y, x, r, e);
    for (int k = 0; k < 20 * n + 100; k++) {
        if (sqrt(left) <= p->tol) {
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    u[i * n + j] = x[pde_row(l, (i + j) % 2, i) + j / 2] / (unit * n * n);
            return k ? k : 1;
        }
        if (p->precond == PDE_MULTIGRID) pde_cycle(p, 0, e);
        else for (ptrdiff_t i = 0; i < all && p->precond == PDE_JACOBI; i++)
            l->u[i] = l->d[i] * e[i];
        const double now = pde_mixed_dot(all, r, z), beta = k ? now / rz : 0;
        if (!isfinite(now)) break;
        for (ptrdiff_t i = 0; i < all; i++) d[i] = (double)z[i] + beta * d[i];
        left = pde_descend(all, now / pde_darcy_apply(p, d, y), d, y, x, r, e);
        rz = now;
    }
    FD_FAIL(scratch.st, FD_ENAN, "pde_darcy_solve", "the residual does not fall; points", n);
    return 0;
}

/* pde_darcy_gradient -- g [n][n] = d/da of any Phi(u(a)): q solves the problem with dPhi/du on the
 * right, per cell and not per area, L q = dPhi/du, which is pde_darcy_solve with n^2 dPhi/du. */
static inline void pde_darcy_gradient(const pde_darcy *p, int faces, const double *a,
                                      const double *u, const double *q, double *g)
{
    const int n = p->n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const int k = i * n + j;
            const int next[4] = { i > 0 ? k - n : -1, i < n - 1 ? k + n : -1, j > 0 ? k - 1 : -1,
                                  j < n - 1 ? k + 1 : -1 };
            g[k] = 0;
            for (int e = 0; e < 4; e++) {
                const int m = next[e];
                if (m < 0) g[k] -= 2 * u[k] * q[k];
                else {
                    double s = a[k] + a[m];
                    double dt = faces == PDE_HARMONIC ? 2 * a[m] * a[m] / (s * s) : .5;
                    g[k] -= dt * (u[k] - u[m]) * (q[k] - q[m]);
                }
            }
        }
}

/* ---- Poisson and Helmholtz: Laplacian u + k^2 u = f, u = 0 on the boundary ----------------------
 *
 * [DiffusionPDE eq. 11] On the (n - 1)^2 interior nodes of n x n squares by the five-point stencil:
 * in its sines, u = f/(k^2 - m), m = 4 n^2 (sin^2(pi p/2n) + sin^2(pi q/2n)). s is a space of
 * Dirichlet boundaries with n - 1 points; the solution operator is symmetric. FD_EDATA where k^2 is
 * an eigenvalue. u may be f. */
static inline double pde_eigenvalue(const fd_space *s, ptrdiff_t mode)
{
    int j[3];
    double m = 0;
    fd_mode(s, mode, j);
    for (int e = 0; e < s->nd; e++) {
        double cells = s->n[e] + 1, h = s->len[e] / cells;
        m += 4 / (h * h) * pow(sin(.5 * pde_pi * (j[e] + 1) / cells), 2);
    }
    return m;
}

/* pde_resonance -- the mode whose eigenvalue k2 is, up to a relative difference, or -1. */
static inline ptrdiff_t pde_resonance(const fd_space *s, double k2, double off)
{
    for (ptrdiff_t i = 0; i < s->modes && k2 > 0; i++) {
        const double m = pde_eigenvalue(s, i);
        if (fabs(k2 - m) <= off * m) return i;
    }
    return -1;
}

static inline void pde_helmholtz(const fd_space *s, double k2, int b, const fd_real *f, fd_real *u,
                                 fd_arena scratch)
{
    fd_real *z = fd_raw(&scratch, fd_real, b * s->modes);
    if (!z) return;
    fd_to_modes(s, b, f, z, scratch);
    const ptrdiff_t at = pde_resonance(s, k2, 1e-12);
    if (at >= 0)
        FD_FAIL(scratch.st, FD_EDATA, "pde_helmholtz", "k^2 is an eigenvalue: no solution; mode",
                (long long)at);
    for (ptrdiff_t i = 0; i < s->modes && !scratch.st->code; i++) {
        const double by = 1 / (k2 - pde_eigenvalue(s, i));
        for (int k = 0; k < b; k++)
            z[k * s->modes + i] = (fd_real)((double)z[k * s->modes + i] * by);
    }
    fd_from_modes(s, b, z, u, scratch);
}

/* ---- Vorticity: incompressible flow on the unit square, periodic --------------------------------
 *
 *     w_t + v . grad w = nu Laplacian w + f,   v = (psi_y, -psi_x),  -Laplacian psi = w
 *
 * in Fourier coefficients, q = |k|^2, k = 2 pi times whole numbers: Crank and Nicolson for
 * viscosity, Euler for the rest,
 *
 *     w' = [(1 - dt nu q/2) w + dt (f - P N)]/(1 + dt nu q/2),   N = v . grad w of P w,
 *
 * P keeps |k_i| < 2 pi n/3, so that no product of two waves is taken for another one. [FNO] filters
 * N alone; waves of w above the filter only decay here, and move nothing.
 *
 * With c = u + i v, k = k_x + i k_y and k* its conjugate, c has the coefficients w/k*, and c^2 = F
 * has all that N needs, since div v = 0 [Basdevant]:
 *
 *     N = (d_x^2 - d_y^2) (u v) + d_x d_y (v^2 - u^2) = i/4 [(k*)^2 F(k) - k^2 F(-k)*]
 *
 * Hence two complex transforms for a step, with the columns of waves below n/3 alone. The transpose
 * of a step's derivative, M = P m, with U = d_y (-Laplacian)^-1, V = -d_x (-Laplacian)^-1, d_x and
 * d_y all being antisymmetric, is
 *
 *     N'^T m = -[U (w_x M) + V (w_y M) + d_x (u M) + d_y (v M)]
 *
 * Axis 0 of w [n][n] is y, axis 1 is x. FD_EDATA where dt (max |u| + max |v|) n is above 1: the
 * step is too long for this flow. Equation and scheme are those of
 * [FNO eqs. 8-10; DiffusionPDE eq. 12]. */
typedef struct {
    int n, low;                            /* points of an axis; waves -low .. low of it are kept */
    double nu, dt;
    const fd_fft *plan;
    fd_real *keep, *push;                  /* of the half spectrum: (1 - v)/(1 + v), dt P/(1 + v) */
    fd_cplx *by;                           /* [PDE_KINDS][2 low + 1][low + 1]: see pde_spread */
    fd_cplx *f;                            /* dt f/(1 + v), or NULL */
} pde_flow;
/* u + i v of w; w_x + i w_y; -N of (u + i v)^2 */
enum { PDE_VELOCITY, PDE_SLOPE, PDE_FLUX, PDE_KINDS };
enum { PDE_APART = 8 };                    /* rows of complex fields are this much longer than n */

/* pde_flow_new -- f [n][n] or NULL. For Burgers: n, nu and dt are enough. */
static inline pde_flow pde_flow_new(fd_arena *a, int n, double nu, double dt, const fd_real *f)
{
    const int half = n / 2 + 1, size = n * half;
    const int low = (n - 1) / 3, kinds = (2 * low + 1) * (low + 1);
    pde_flow p = { .n = n, .low = low, .nu = nu, .dt = dt, .plan = fd_fft_plan(a, FD_C2C, n) };
    p.keep = fd_raw(a, fd_real, size), p.push = fd_raw(a, fd_real, size);
    p.by = fd_raw(a, fd_cplx, PDE_KINDS * kinds);
    if (f) p.f = fd_raw(a, fd_cplx, size);
    if (a->st->code) return p;
    if (f) fd_rfftn(2, (const int[]){ n, n }, 1, 1. / ((double)n * n), f, p.f, *a);
    for (int at = 0; at < size; at++) {
        const int i = at / half, j = at % half, ky = i <= n / 2 ? i : i - n;
        const double x = 2 * pde_pi * j, y = 2 * pde_pi * ky, q = x * x + y * y;
        const double v = .5 * dt * nu * q, push = dt / (1 + v), flux = .25 * push / n / n;
        p.keep[at] = (fd_real)((1 - v) / (1 + v));
        p.push[at] = abs(ky) <= low && j <= low ? (fd_real)push : 0;
        if (f) p.f[at].re *= (fd_real)push, p.f[at].im *= (fd_real)push;
        if (!(p.push[at] > 0)) continue;
        const double by[PDE_KINDS][2] = { { q > 0 ? x / q : 0, q > 0 ? y / q : 0 }, { -y, x },
                                          { -2 * flux * x * y, -flux * (x * x - y * y) } };
        fd_cplx *to = p.by + (ky < 0 ? ky + 2 * low + 1 : ky) * (low + 1) + j;
        for (int k = 0; k < PDE_KINDS; k++)
            to[k * kinds] = (fd_cplx){ (fd_real)by[k][0], (fd_real)by[k][1] };
    }
    return p;
}

static inline ptrdiff_t pde_flow_half(const pde_flow *p) { return p->n * (p->n / 2 + 1); }

/* the columns of low waves of a complex field c [n][n + PDE_APART], in whole vectors */
static inline void pde_columns(const pde_flow *p, int sign, fd_cplx *c, fd_arena scratch)
{
    enum { LINES = 2 * PDE_LANES };
    const int n = p->n, w = n + PDE_APART, some = (p->low + LINES) / LINES * LINES;
    const int all = 2 * some >= n;
    fd_fft_run(p->plan, sign, 1, all ? n : some, 1, w, (fd_real *)c, scratch);
    if (!all) fd_fft_run(p->plan, sign, 1, some, 1, w, (fd_real *)(c + n - some), scratch);
}

static inline void pde_rows(const pde_flow *p, int sign, fd_cplx *c, fd_arena scratch)
{
    fd_fft_run(p->plan, sign, 1, p->n, p->n + PDE_APART, 1, (fd_real *)c, scratch);
}

/* pde_spread -- c = the field a + i b of two real ones that an odd multiplier t of the kind makes
 * of the half spectrum z of low waves: it has t z at k, -t z* at -k. */
static inline void pde_spread(const pde_flow *p, int kind, const fd_cplx *restrict z,
                              fd_cplx *restrict c, fd_arena scratch)
{
    const int n = p->n, w = n + PDE_APART, low = p->low, half = n / 2 + 1;
    const fd_cplx *t = p->by + (ptrdiff_t)kind * (2 * low + 1) * (low + 1);
    memset(c, 0, (size_t)(n * w) * sizeof *c);
    for (int r = 0; r <= 2 * low; r++, t += low + 1) {
        const int i = r <= low ? r : r + n - 2 * low - 1;
        const fd_cplx *restrict x = z + i * half;
        fd_cplx *restrict to = c + i * w, *restrict other = c + (i ? n - i : 0) * w + n;
        for (int j = 0; j <= low; j++)
            to[j] = (fd_cplx){ t[j].re * x[j].re - t[j].im * x[j].im,
                               t[j].re * x[j].im + t[j].im * x[j].re };
        for (int j = 1; j <= low; j++)
            other[-j] = (fd_cplx){ -t[j].re * x[j].re - t[j].im * x[j].im,
                                   t[j].re * x[j].im - t[j].im * x[j].re };
    }
    pde_columns(p, 1, c, scratch);
    pde_rows(p, 1, c, scratch);
}

/* pde_gather -- z += t F(k) + t* F(-k)* at low waves, F the transform of the field c, which is
 * lost; of PDE_FLUX. For the others the transpose of pde_spread: z -= (t* F(k) - t F(-k)*)/2. */
static inline void pde_gather(const pde_flow *p, int kind, fd_cplx *restrict c, fd_cplx *restrict z,
                              fd_arena scratch)
{
    const int n = p->n, w = n + PDE_APART, low = p->low, half = n / 2 + 1, flux = kind == PDE_FLUX;
    const fd_real size = (fd_real)(flux ? 1 : .5 / ((double)n * n)), s = flux ? 1 : -1;
    const fd_cplx *t = p->by + (ptrdiff_t)kind * (2 * low + 1) * (low + 1);
    pde_rows(p, -1, c, scratch);
    pde_columns(p, -1, c, scratch);
    for (int i = 0; i < n; i++) c[i * w + n] = c[i * w];
    for (int r = 0; r <= 2 * low; r++, t += low + 1) {
        const int i = r <= low ? r : r + n - 2 * low - 1;
        const fd_cplx *restrict x = c + i * w, *restrict y = c + (i ? n - i : 0) * w + n;
        fd_cplx *restrict to = z + i * half;
        for (int j = 0; j <= low; j++) {
            const fd_real re = s * size * t[j].re, im = size * t[j].im;
            to[j].re += re * (x[j].re + s * y[-j].re) - im * (x[j].im + s * y[-j].im);
            to[j].im += re * (x[j].im - s * y[-j].im) + im * (x[j].re - s * y[-j].re);
        }
    }
}

/* c = c^2 of all complex numbers; returns max |re| + max |im|, no number where one is not */
static inline double pde_square(int all, fd_cplx *c)
{
    enum { LANES = 2 * PDE_LANES };
    fd_real most[LANES] = { 0 }, more[LANES] = { 0 }, sum[LANES] = { 0 }, wrong = 0;
    const int whole = all / LANES * LANES;
    for (int i = 0; i < all; i += LANES)
        for (int k = 0; k < (i < whole ? LANES : all - whole); k++) {
            const fd_real a = c[i + k].re, b = c[i + k].im;
            const fd_real u = a > -a ? a : -a, v = b > -b ? b : -b;
            most[k] = u > most[k] ? u : most[k], more[k] = v > more[k] ? v : more[k];
            c[i + k].re = a * a - b * b, c[i + k].im = 2 * a * b, sum[k] += c[i + k].re;
        }
    for (int k = 0; k < LANES; k++) {
        most[0] = most[k] > most[0] ? most[k] : most[0];
        more[0] = more[k] > more[0] ? more[k] : more[0];
        wrong += sum[k] - sum[k];
    }
    return (double)most[0] + (double)more[0] + (double)wrong;
}

/* one step of the half spectrum z; c: room for a complex field */
static inline void pde_flow_spectral(const pde_flow *p, fd_cplx *restrict z, fd_cplx *restrict c,
                                     fd_arena scratch)
{
    const int n = p->n;
    const ptrdiff_t size = pde_flow_half(p);
    pde_spread(p, PDE_VELOCITY, z, c, scratch);
    const double speed = p->dt * n * pde_square(n * (n + PDE_APART), c);
    if (scratch.st->code) return;
    if (!(speed <= 1)) {
        FD_FAIL(scratch.st, FD_EDATA, "pde_flow_step", "the step is too long for this flow, take a "
                "smaller dt: dt (max |u| + max |v|) n must be at most 1, is in percent",
                (long long)fmin(100 * speed, 1e15));
        return;
    }
    for (ptrdiff_t i = 0; i < size; i++) z[i].re *= p->keep[i], z[i].im *= p->keep[i];
    pde_gather(p, PDE_FLUX, c, z, scratch);
    for (ptrdiff_t i = 0; i < size && p->f; i++) z[i].re += p->f[i].re, z[i].im += p->f[i].im;
}

/* pde_flow_run -- so many steps of w [n][n], in place; between them it stays in coefficients.
 * pde_flow_step: one. */
static inline void pde_flow_run(const pde_flow *p, int steps, fd_real *w, fd_arena scratch)
{
    const int n[2] = { p->n, p->n }, all = p->n * p->n;
    fd_cplx *z = fd_raw(&scratch, fd_cplx, pde_flow_half(p));
    fd_cplx *c = fd_raw(&scratch, fd_cplx, all + p->n * PDE_APART);
    if (!c || steps < 1) return;
    fd_rfftn(2, n, 1, 1. / all, w, z, scratch);
    for (int k = 0; k < steps && !scratch.st->code; k++) pde_flow_spectral(p, z, c, scratch);
    if (!scratch.st->code) fd_irfftn(2, n, 1, 1, z, w, scratch);
}

static inline void pde_flow_step(const pde_flow *p, fd_real *w, fd_arena scratch)
{
    pde_flow_run(p, 1, w, scratch);
}

/* c = m times c, of a real and a complex field */
static inline void pde_weigh(int n, const fd_real *m, fd_cplx *c)
{
    for (int i = 0; i < n; i++, m += n, c += n + PDE_APART)
        for (int j = 0; j < n; j++) c[j].re *= m[j], c[j].im *= m[j];
}

/* pde_flow_move -- all in coefficients. g NULL: a step of w, of half spectrum z, in place; else
 * g = (dw'/dw)^T g at w, which stays. */
static inline void pde_flow_move(const pde_flow *p, fd_real *w, fd_real *back, fd_arena scratch)
{
    const int n[2] = { p->n, p->n }, all = p->n * p->n;
    const ptrdiff_t size = pde_flow_half(p);
    fd_cplx *z = (fd_cplx *)w, *g = (fd_cplx *)back, *y = fd_raw(&scratch, fd_cplx, size);
    fd_cplx *c = fd_raw(&scratch, fd_cplx, all + p->n * PDE_APART);
    fd_real *m = fd_raw(&scratch, fd_real, all);
    if (!m) return;
    if (!g) {
        pde_flow_spectral(p, z, c, scratch);
        return;
    }
    for (ptrdiff_t i = 0; i < size; i++) {
        y[i] = (fd_cplx){ p->push[i] * g[i].re, p->push[i] * g[i].im };
        g[i].re *= p->keep[i], g[i].im *= p->keep[i];
    }
    fd_irfftn(2, n, 1, 1, y, m, scratch);
    for (int kind = PDE_VELOCITY; kind <= PDE_SLOPE; kind++) {     /* u, v, w_x, w_y times M */
        pde_spread(p, kind, z, c, scratch);
        pde_weigh(p->n, m, c);
        pde_gather(p, kind == PDE_VELOCITY ? PDE_SLOPE : PDE_VELOCITY, c, g, scratch);
    }
}

/* pde_pull -- g = (dx'/dx)^T g, x' what so many steps make of x [size]; x is lost. move is a step,
 * or with g not NULL the transpose of its derivative at x. The state is kept every sqrt(steps)
 * steps alone, and those between are made again when they are wanted. */
static inline void pde_pull(const pde_flow *p, int steps, ptrdiff_t size, fd_real *x, fd_real *g,
                            void move(const pde_flow *, fd_real *, fd_real *, fd_arena),
                            fd_arena scratch)
{
    const int every = steps > 1 ? (int)ceil(sqrt(steps)) : 1, parts = (steps + every - 1) / every;
    const size_t bytes = (size_t)size * sizeof *x;
    fd_real *mark = fd_raw(&scratch, fd_real, parts * size);
    fd_real *part = fd_raw(&scratch, fd_real, every * size);
    if (!part) return;
    for (int k = 0; k < steps && !scratch.st->code; k++) {
        if (k % every == 0) memcpy(mark + k / every * size, x, bytes);
        move(p, x, NULL, scratch);
    }
    for (int from = (parts - 1) * every; from >= 0 && !scratch.st->code; from -= every) {
        const int some = steps - from < every ? steps - from : every;
        memcpy(part, mark + from / every * size, bytes);
        for (int k = 1; k < some; k++) {
            memcpy(part + k * size, part + (k - 1) * size, bytes);
            move(p, part + k * size, NULL, scratch);
        }
        for (int k = some - 1; k >= 0; k--) move(p, part + k * size, g, scratch);
    }
}

/* pde_flow_pull -- g = (dw'/dw)^T g at w [n][n], in place, w' after so many steps. */
static inline void pde_flow_pull(const pde_flow *p, int steps, const fd_real *w, fd_real *g,
                                 fd_arena scratch)
{
    const int n[2] = { p->n, p->n }, all = p->n * p->n;
    const ptrdiff_t size = pde_flow_half(p);
    fd_cplx *z = fd_raw(&scratch, fd_cplx, size), *y = fd_raw(&scratch, fd_cplx, size);
    if (!y) return;
    fd_rfftn(2, n, 1, 1. / all, w, z, scratch), fd_rfftn(2, n, 1, 1. / all, g, y, scratch);
    pde_pull(p, steps, 2 * size, (fd_real *)z, (fd_real *)y, pde_flow_move, scratch);
    if (!scratch.st->code) fd_irfftn(2, n, 1, 1, y, g, scratch);
}

/* pde_burgers_step -- u_t + u u_x = nu u_xx [FNO eq. 7; DiffusionPDE eq. 14], u [n] on the circle
 * of length 1, in place, by the same scheme, but N = d_x (u^2/2) is of all waves of u, and P keeps
 * k < n/3: the product of two waves n/3 would be taken for one. back is NULL, or a gradient g that
 * becomes (du'/du)^T g at u, which stays. */
static inline void pde_burgers_step(const pde_flow *p, fd_real *u, fd_real *back, fd_arena scratch)
{
    const int n = p->n, half = n / 2 + 1;
    fd_cplx *z = fd_raw(&scratch, fd_cplx, 2 * half);
    fd_real *y = fd_raw(&scratch, fd_real, n), most = 0;
    if (!y) return;
    for (int i = 0; i < n; i++) {
        y[i] = u[i] * u[i] / 2;
        if (!((u[i] < 0 ? -u[i] : u[i]) <= most)) most = u[i] < 0 ? -u[i] : u[i];
    }
    if (!(p->dt * (double)most * n <= 1)) {
        FD_FAIL(scratch.st, FD_EDATA, "pde_burgers_step",
                "the step is too long for this flow, take a smaller dt: dt max |u| n must be at "
                "most 1, is in percent",
                (long long)fmin(100 * p->dt * (double)most * n, 1e15));
        return;
    }
    fd_rfftn(1, &n, 1, 1. / n, back ? back : u, z, scratch);
    if (!back) fd_rfftn(1, &n, 1, 1. / n, y, z + half, scratch);
    for (int k = 0; k < half; k++) {
        const double v = .5 * p->dt * p->nu * pow(2 * pde_pi * k, 2);
        const double push = 3 * k < n ? p->dt / (1 + v) * (2 * pde_pi * k) : 0;
        fd_cplx *x = &z[k], *w = &z[half + k];
        if (back) w->re = (fd_real)(-push * (double)x->im), w->im = (fd_real)(push * (double)x->re);
        else {
            fd_cplx keep = *w;
            w->re = (fd_real)(push * (double)keep.im), w->im = (fd_real)(-push * (double)keep.re);
        }
        x->re = (fd_real)((double)x->re * (1 - v) / (1 + v));
        x->im = (fd_real)((double)x->im * (1 - v) / (1 + v));
        if (!back) x->re += w->re, x->im += w->im;
    }
    fd_irfftn(1, &n, 1, 1, z, back ? back : u, scratch);
    if (!back) return;
    fd_irfftn(1, &n, 1, 1, z + half, y, scratch);
    for (int i = 0; i < n; i++) back[i] += u[i] * y[i];
}

/* ---- Radon transform on [-1, 1]^2, parallel beams -----------------------------------------------
 *
 *     (R f)(theta, s) = int f(s cos theta - t sin theta, s sin theta + t cos theta) dt
 *
 * by 3n midpoints of t in [-1.5, 1.5] and bilinear interpolation between n x n cell centres, 0
 * outside. Row i of f is at y = -1 + (i + 1/2) 2/n, column j at x alike. back: the exact transpose,
 * f += R^T g. */
static inline void pde_radon(int n, int views, const double *theta, int beams, const double *s,
                             int back, double *f, double *g)
{
    for (int v = 0; v < views; v++)
        for (int b = 0; b < beams; b++) {
            double *sum = g + v * beams + b, c = cos(theta[v]), w = sin(theta[v]), dt = 1. / n;
            if (!back) *sum = 0;
            else if (*sum == 0) continue;
            for (int k = 0; k < 3 * n; k++) {
                double t = -1.5 + (k + .5) * dt, x = s[b] * c - t * w, y = s[b] * w + t * c;
                double px = (x + 1) * n / 2 - .5, py = (y + 1) * n / 2 - .5;
                int j = (int)floor(px), i = (int)floor(py);
                for (int e = 0; e < 4; e++) {
                    int down = i + e / 2, over = j + e % 2;
                    if (down < 0 || down >= n || over < 0 || over >= n) continue;
                    double wt = dt * (e / 2 ? py - i : i + 1 - py) * (e % 2 ? px - j : j + 1 - px);
                    if (back) f[down * n + over] += wt * *sum;
                    else *sum += wt * f[down * n + over];
                }
            }
        }
}

/* ---- Mogi's source: what a volcano's ground does above a small chamber --------------------------
 *
 * [Mogi] A change dv of volume at (x, y), depth d, moves the surface, rho the distance,
 *
 *     u_z = (1 - nu) dv/pi d/(rho^2 + d^2)^3/2,   u_r = (1 - nu) dv/pi rho/(rho^2 + d^2)^3/2
 *
 * with nu = 1/4, and a radar sees phase 4 pi/wave times the component along its line of sight,
 * (-sin i cos h, sin i sin h, cos i): incidence i, heading h clockwise from north. */
typedef struct { double x, y, d, dv; } pde_mogi;
static const double pde_mogi_nu = .25;

/* u: east, north, up */
static inline void pde_mogi_ground(const pde_mogi *m, double x, double y, double u[3])
{
    double dx = x - m->x, dy = y - m->y, r2 = dx * dx + dy * dy + m->d * m->d;
    double f = (1 - pde_mogi_nu) * m->dv / pde_pi / (r2 * sqrt(r2));
    u[0] = f * dx, u[1] = f * dy, u[2] = f * m->d;
}

static inline double pde_mogi_phase(const pde_mogi *m, double x, double y, double wave,
                                    double incidence, double heading)
{
    double u[3];
    pde_mogi_ground(m, x, y, u);
    return 4 * pde_pi / wave * (-sin(incidence) * cos(heading) * u[0]
                                + sin(incidence) * sin(heading) * u[1]
                                + cos(incidence) * u[2]);
}

/* ---- Signed distances ---------------------------------------------------------------------------
 *
 * Of a set of pixels in [n][m], positive outside, in units of the height: (distance to the nearest
 * pixel of the set - distance to the nearest one outside)/n, between centres, so there is no 0.
 * Squared distances are exact [Felzenszwalb & Huttenlocher]: the lower envelope of the parabolas of
 * a line, rows and then columns. */
static inline void pde_envelope(int n, const double *f, double *d, int *at, double *from)
{
    int k = -1;
    for (int q = 0; q < n; q++) {
        if (!(f[q] < INFINITY)) continue;
        double s = -INFINITY;
        while (k >= 0) {
            s = (f[q] + (double)q * q - f[at[k]] - (double)at[k] * at[k]) / (2. * (q - at[k]));
            if (s > from[k]) break;
            k--, s = -INFINITY;
        }
        at[++k] = q, from[k] = s;
    }
    for (int q = 0, i = 0; q < n; q++) {
        if (k < 0) { d[q] = INFINITY; continue; }
        while (i < k && from[i + 1] < q) i++;
        d[q] = f[at[i]] + (double)(q - at[i]) * (q - at[i]);
    }
}

static inline void pde_signed_distance(int n, int m, const unsigned char *in, double *sdf,
                                       fd_arena scratch)
{
    const int most = n > m ? n : m;
    double *d = fd_raw(&scratch, double, n * m), *f = fd_raw(&scratch, double, most);
    double *g = fd_raw(&scratch, double, most), *from = fd_raw(&scratch, double, most);
    int *at = fd_raw(&scratch, int, most);
    if (!at) return;
    for (int side = 0; side < 2; side++) {                  /* to the set; to what is not of it */
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < m; j++) f[j] = (in[i * m + j] != 0) != side ? 0 : INFINITY;
            pde_envelope(m, f, d + i * m, at, from);
        }
        for (int j = 0; j < m; j++) {
            for (int i = 0; i < n; i++) f[i] = d[i * m + j];
            pde_envelope(n, f, g, at, from);
            for (int i = 0; i < n; i++)
                sdf[i * m + j] = (side ? sdf[i * m + j] : 0) + (side ? -1 : 1) * sqrt(g[i]) / n;
        }
    }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif
#endif
