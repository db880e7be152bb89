/* pde.h -- forward models of the papers' inverse problems: Darcy flow, Poisson and Helmholtz, vorticity in two
 * dimensions, Burgers, the Radon transform, each with its adjoint; Mogi's source, signed distances.
 * Numbers at cells are double, functions on periodic grids fd_real; memory comes from the arena. An
 * observation of the library is made of one by two functions (operator.c). */
#ifndef PDE_H
#define PDE_H
#include "fd.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pde_pi = 3.14159265358979323846;

/* ---- Darcy flow: -div(a grad u) = f on the unit square, u = 0 on its boundary -----------------------
 *
 * [DiffusionPDE eq. 10] Cells (i, j), h = 1/n. Through a face between cells with a and b flows t (u_a - u_b),
 *
 *     t = 2ab/(a + b)   PDE_HARMONIC          t = (a + b)/2   PDE_ARITHMETIC
 *
 * and 2a u through a face of the boundary: sum over the faces of a cell = h^2 f. The two differ by
 * some per cent where a jumps: never mix data of one with inversion by the other. [FNO]'s data are by
 * arithmetic means between nodes.
 *
 * Solved by conjugate gradients, preconditioned by the diagonal or by a V-cycle of multigrid: on the
 * coarser grid a face has half the sum of the two t below it (piecewise constant functions are too
 * stiff by that factor), smoothing is one sweep of Gauss and Seidel over the cells of a chessboard, red
 * and then black, and back on the way up, so that the cycle is symmetric. Fields of unknowns have a
 * frame of zeros, [n + 2][n + 2]. */

enum { PDE_HARMONIC = 1, PDE_ARITHMETIC };
enum { PDE_PLAIN = 1, PDE_JACOBI, PDE_MULTIGRID };
enum { PDE_LEVELS = 16 };

typedef struct { int n; double *x, *y, *d, *u, *r; } pde_level;     /* t of faces; diagonal, and over 1 */
typedef struct { int n, levels, precond; double tol; pde_level at[PDE_LEVELS]; } pde_darcy;

/* x: faces between rows i - 1 and i, [n + 1][n]; y: between columns, [n][n + 1]; d [2][n][n] */
static inline void pde_diagonal(pde_level *l)
{
    const int n = l->n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            l->d[i * n + j] = l->x[i * n + j] + l->x[(i + 1) * n + j]
                            + l->y[i * (n + 1) + j] + l->y[i * (n + 1) + j + 1];
            l->d[(n + i) * n + j] = 1 / l->d[i * n + j];
        }
}

/* pde_darcy_new -- for a coefficient a [n][n], positive. tol: of the residual, relative. */
static inline pde_darcy *pde_darcy_new(fd_arena *m, int n, int faces, int precond, double tol,
                                       const double *a)
{
    pde_darcy *p = fd_new(m, pde_darcy, 1);
    if (!p) return NULL;
    for (int i = 0; i < n * n; i++)
        if (!(a[i] > 0 && isfinite(a[i]))) {
            FD_FAIL(m->st, FD_EDATA, "pde_darcy_new", "a coefficient is not positive; cell", i);
            return NULL;
        }
    p->n = n, p->precond = precond, p->tol = tol;
    for (int k = n; p->levels < PDE_LEVELS; k /= 2) {
        pde_level *l = &p->at[p->levels++];
        const int framed = (k + 2) * (k + 2);
        *l = (pde_level){ k, fd_new(m, double, (k + 1) * k), fd_new(m, double, (k + 1) * k),
                          fd_raw(m, double, 2 * k * k), fd_new(m, double, framed), fd_new(m, double, framed) };
        if (!l->r) return NULL;
        if (precond != PDE_MULTIGRID || k % 2 || k <= 4) break;
    }
    pde_level *l = p->at;
    for (int i = 0; i <= n; i++)
        for (int j = 0; j < n; j++)
            for (int way = 0; way < 2; way++) {
                double u = i > 0 ? a[way ? j * n + i - 1 : (i - 1) * n + j] : 0;
                double v = i < n ? a[way ? j * n + i : i * n + j] : 0;
                double t = i == 0 ? 2 * v : i == n ? 2 * u
                         : faces == PDE_HARMONIC ? 2 * u * v / (u + v) : .5 * (u + v);
                if (way) l->y[j * (n + 1) + i] = t;
                else l->x[i * n + j] = t;
            }
    pde_diagonal(l);
    for (int q = 1; q < p->levels; q++) {
        const pde_level *f = &p->at[q - 1];
        pde_level *c = &p->at[q];
        const int k = c->n;
        for (int i = 0; i <= k; i++)
            for (int j = 0; j < k; j++) {
                c->x[i * k + j] = .5 * (f->x[2 * i * f->n + 2 * j] + f->x[2 * i * f->n + 2 * j + 1]);
                c->y[j * (k + 1) + i] = .5 * (f->y[2 * j * (f->n + 1) + 2 * i]
                                              + f->y[(2 * j + 1) * (f->n + 1) + 2 * i]);
            }
        pde_diagonal(c);
    }
    return p;
}

/* pde_darcy_apply -- y = L u, h^2 times the operator. */
static inline void pde_darcy_apply(const pde_level *l, const double *u, double *y)
{
    const int n = l->n, m = n + 2;
    for (int i = 0; i < n; i++) {
        const double *c = u + (i + 1) * m + 1, *x = l->x + i * n, *f = l->y + i * (n + 1), *d = l->d + i * n;
        double *to = y + (i + 1) * m + 1;
        for (int j = 0; j < n; j++)
            to[j] = d[j] * c[j] - x[j] * c[j - m] - x[j + n] * c[j + m] - f[j] * c[j - 1] - f[j + 1] * c[j + 1];
    }
}

/* the cells of one colour */
static inline void pde_sweep(const pde_level *l, const double *r, double *u, int colour)
{
    const int n = l->n, m = n + 2;
    for (int i = 0; i < n; i++) {
        const double *x = l->x + i * n, *f = l->y + i * (n + 1), *d = l->d + (n + i) * n, *b = r + (i + 1) * m + 1;
        double *c = u + (i + 1) * m + 1;
        for (int j = (i + colour) % 2; j < n; j += 2)
            c[j] = d[j] * (b[j] + x[j] * c[j - m] + x[j + n] * c[j + m] + f[j] * c[j - 1] + f[j + 1] * c[j + 1]);
    }
}

/* pde_cycle -- u = about L^-1 r on level q. */
static inline void pde_cycle(const pde_darcy *p, int q, const double *r, double *u, double *y)
{
    const pde_level *l = &p->at[q];
    const int n = l->n, m = n + 2, last = q + 1 == p->levels, sweeps = last ? 8 : 1;
    memset(u, 0, (size_t)(m * m) * sizeof *u);
    for (int k = 0; k < sweeps; k++) pde_sweep(l, r, u, 0), pde_sweep(l, r, u, 1);
    if (!last) {
        const pde_level *c = l + 1;
        const int h = c->n, w = h + 2;
        pde_darcy_apply(l, u, y);
        for (int i = 0; i < h; i++)
            for (int j = 0; j < h; j++) {
                const int at = (2 * i + 1) * m + 2 * j + 1;
                c->r[(i + 1) * w + j + 1] = r[at] - y[at] + r[at + 1] - y[at + 1]
                                          + r[at + m] - y[at + m] + r[at + m + 1] - y[at + m + 1];
            }
        pde_cycle(p, q + 1, c->r, c->u, y);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) u[(i + 1) * m + j + 1] += c->u[(i / 2 + 1) * w + j / 2 + 1];
    }
    for (int k = 0; k < sweeps; k++) pde_sweep(l, r, u, 1), pde_sweep(l, r, u, 0);
}

static inline double pde_dot(int n, const double *x, const double *y)
{
    double sum[8] = { 0 };
    int i = 0;
    for (; i + 8 <= n; i += 8) for (int k = 0; k < 8; k++) sum[k] += x[i + k] * y[i + k];
    for (; i < n; i++) sum[0] += x[i] * y[i];
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

/* pde_darcy_solve -- u with L u/h^2 = f, f and u [n][n]; returns the iterations, or 0 with FD_ENAN where they do
 * not converge. The matrix is symmetric: adjoint problems are the same. */
static inline int pde_darcy_solve(const pde_darcy *p, const double *f, double *u, fd_arena scratch)
{
    const int n = p->n, m = n + 2, all = m * m;
    const pde_level *l = p->at;
    double *r = fd_new(&scratch, double, all), *z = fd_new(&scratch, double, all), *x = fd_new(&scratch, double, all);
    double *d = fd_new(&scratch, double, all), *y = fd_new(&scratch, double, all), rz = 0;
    double *room = fd_new(&scratch, double, all);
    if (!room) return 0;
    for (int i = 0; i < n * n; i++) r[(i / n + 1) * m + i % n + 1] = f[i] / ((double)n * n);
    const double stop = p->tol * sqrt(pde_dot(all, r, r));
    for (int k = 0; k < 20 * n + 100; k++) {
        if (sqrt(pde_dot(all, r, r)) <= stop) {
            for (int i = 0; i < n * n; i++) u[i] = x[(i / n + 1) * m + i % n + 1];
            return k ? k : 1;
        }
        if (p->precond == PDE_MULTIGRID) pde_cycle(p, 0, r, z, room);
        else if (p->precond == PDE_PLAIN) memcpy(z, r, (size_t)all * sizeof *z);
        else
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    z[(i + 1) * m + j + 1] = r[(i + 1) * m + j + 1] * l->d[(n + i) * n + j];
        double now = pde_dot(all, r, z), beta = k ? now / rz : 0;
        if (!isfinite(now)) break;
        for (int i = 0; i < all; i++) d[i] = z[i] + beta * d[i];
        pde_darcy_apply(l, d, y);
        double step = now / pde_dot(all, d, y);
        for (int i = 0; i < all; i++) x[i] += step * d[i], r[i] -= step * y[i];
        rz = now;
    }
    FD_FAIL(scratch.st, FD_ENAN, "pde_darcy_solve", "the residual does not fall; points", n);
    return 0;
}

/* pde_darcy_gradient -- g [n][n] = d/da of any Phi(u(a)): q solves the problem with dPhi/du on the right, per cell
 * and not per area, L q = dPhi/du, which is pde_darcy_solve with n^2 dPhi/du. */
static inline void pde_darcy_gradient(const pde_darcy *p, int faces, const double *a, const double *u,
                                      const double *q, double *g)
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
                    double s = a[k] + a[m], dt = faces == PDE_HARMONIC ? 2 * a[m] * a[m] / (s * s) : .5;
                    g[k] -= dt * (u[k] - u[m]) * (q[k] - q[m]);
                }
            }
        }
}

/* ---- Poisson and Helmholtz: Laplacian u + k^2 u = f, u = 0 on the boundary --------------------------
 *
 * [DiffusionPDE eq. 11] On the (n - 1)^2 interior nodes of n x n squares by the five-point stencil:
 * in its sines, u = f/(k^2 - m),
 * m = 4 n^2 (sin^2(pi p/2n) + sin^2(pi q/2n)). s is a space of Dirichlet boundaries with n - 1 points;
 * the solution operator is symmetric. FD_EDATA where k^2 is an eigenvalue. u may be f. */
static inline void pde_helmholtz(const fd_space *s, double k2, int b, const fd_real *f, fd_real *u,
                                 fd_arena scratch)
{
    fd_real *z = fd_raw(&scratch, fd_real, b * s->modes);
    if (!z) return;
    fd_to_modes(s, b, f, z, scratch);
    for (ptrdiff_t i = 0; i < b * s->modes && !scratch.st->code; i++) {
        int j[3];
        double m = 0;
        fd_mode(s, i % s->modes, j);
        for (int e = 0; e < s->nd; e++) {
            double cells = s->n[e] + 1, h = s->len[e] / cells;
            m += 4 / (h * h) * pow(sin(.5 * pde_pi * (j[e] + 1) / cells), 2);
        }
        if (fabs(k2 - m) <= 1e-12 * m)
            FD_FAIL(scratch.st, FD_EDATA, "pde_helmholtz", "k^2 is an eigenvalue: no solution; mode",
                    (long long)(i % s->modes));
        z[i] = (fd_real)((double)z[i] / (k2 - m));
    }
    fd_from_modes(s, b, z, u, scratch);
}

/* ---- Vorticity: incompressible flow on the unit square, periodic --------------------------------------
 *
 *     w_t + v . grad w = nu Laplacian w + f,   v = (psi_y, -psi_x),  -Laplacian psi = w
 *
 * in Fourier coefficients, q = 4 pi^2 |k|^2: Crank and Nicolson for viscosity, Euler for the rest,
 *
 *     w' = [(1 - dt nu q/2) w + dt (f - P N)]/(1 + dt nu q/2),   N = v . grad w at the points,
 *
 * P keeps |k_i| <= n/3. Odd derivatives of the Nyquist modes are 0. The transpose of a step's derivative
 * follows from U = d_y (-Laplacian)^-1, V = -d_x (-Laplacian)^-1 and
 * d_x, d_y all being antisymmetric:
 *
 *     N'^T m = -[U (w_x Pm) + d_x (u Pm) + V (w_y Pm) + d_y (v Pm)]
 *
 * Axis 0 of w [n][n] is y, axis 1 is x. FD_EDATA where dt (max |u| + max |v|) n is above 1: the step is
 * too long for this flow. Equation and scheme are those of [FNO eqs. 8-10; DiffusionPDE eq. 12]. */
typedef struct {
    int n;
    double nu, dt;
    fd_real *mul;                          /* [6][half spectrum]: of PDE_U .., imaginary up to PDE_Y */
    fd_cplx *f;                            /* dt f/(1 + dt nu q/2), or NULL */
} pde_flow;
enum { PDE_U, PDE_V, PDE_X, PDE_Y, PDE_PUSH, PDE_KEEP, PDE_KINDS };   /* u, v, w_x, w_y of w; dt P/(..); .. */

/* pde_flow_new -- f [n][n] or NULL. For Burgers: n, nu and dt are enough. */
static inline pde_flow pde_flow_new(fd_arena *a, int n, double nu, double dt, const fd_real *f)
{
    const int half = n / 2 + 1, size = n * half, grid[2] = { n, n };
    pde_flow p = { n, nu, dt, fd_raw(a, fd_real, PDE_KINDS * size), NULL };
    if (f) p.f = fd_raw(a, fd_cplx, size);
    if (a->st->code) return p;
    if (f) fd_rfftn(2, grid, 1, 1. / ((double)n * n), f, p.f, *a);
    for (int at = 0; at < size; at++) {
        const int i = at / half, j = at % half, ky = i <= n / 2 ? i : i - n;
        const double q = 4 * pde_pi * pde_pi * ((double)ky * ky + (double)j * j), v = .5 * dt * nu * q;
        const double dx = 2 * j == n ? 0 : 2 * pde_pi * j, dy = 2 * abs(ky) == n ? 0 : 2 * pde_pi * ky;
        const int low = 3 * abs(ky) <= n && 3 * j <= n;
        const double by[PDE_KINDS] = { q > 0 ? dy / q : 0, q > 0 ? -dx / q : 0, dx, dy,
                                       low ? dt / (1 + v) : 0, (1 - v) / (1 + v) };
        for (int k = 0; k < PDE_KINDS; k++) p.mul[k * size + at] = (fd_real)by[k];
        if (f) p.f[at].re *= (fd_real)(dt / (1 + v)), p.f[at].im *= (fd_real)(dt / (1 + v));
    }
    return p;
}

/* y = the half spectrum z times a multiplier; y may be z */
static inline void pde_times(const pde_flow *p, int kind, const fd_cplx *z, fd_cplx *y)
{
    const int size = p->n * (p->n / 2 + 1);
    const fd_real *f = p->mul + (ptrdiff_t)kind * size;
    if (kind >= PDE_PUSH)
        for (int i = 0; i < size; i++) y[i].re = f[i] * z[i].re, y[i].im = f[i] * z[i].im;
    else
        for (int i = 0; i < size; i++) {
            fd_cplx c = z[i];
            y[i].re = -f[i] * c.im, y[i].im = f[i] * c.re;
        }
}

/* y = the field of a multiplier of x; y may be x */
static inline void pde_field(const pde_flow *p, int kind, const fd_real *x, fd_real *y, fd_arena scratch)
{
    const int n[2] = { p->n, p->n }, size = p->n * (p->n / 2 + 1);
    fd_cplx *z = fd_raw(&scratch, fd_cplx, size);
    if (!z) return;
    fd_rfftn(2, n, 1, 1. / ((double)p->n * p->n), x, z, scratch);
    pde_times(p, kind, z, z);
    fd_irfftn(2, n, 1, 1, z, y, scratch);
}

/* u, v, w_x, w_y [4][n][n] of w, whose half spectrum stays in z */
static inline void pde_flow_fields(const pde_flow *p, const fd_real *w, fd_cplx *z, fd_real *u, fd_arena scratch)
{
    const int n[2] = { p->n, p->n }, size = p->n * (p->n / 2 + 1);
    fd_cplx *y = fd_raw(&scratch, fd_cplx, 4 * size);
    if (!y) return;
    fd_rfftn(2, n, 1, 1. / ((double)p->n * p->n), w, z, scratch);
    for (int k = PDE_U; k <= PDE_Y; k++) pde_times(p, k, z, y + k * size);
    fd_irfftn(2, n, 4, 1, y, u, scratch);
}

/* pde_flow_step -- one step of w [n][n], in place. */
static inline void pde_flow_step(const pde_flow *p, fd_real *w, fd_arena scratch)
{
    const int n[2] = { p->n, p->n }, all = p->n * p->n, size = p->n * (p->n / 2 + 1);
    fd_cplx *z = fd_raw(&scratch, fd_cplx, 2 * size);
    fd_real *u = fd_raw(&scratch, fd_real, 4 * all), most[2] = { 0, 0 };
    if (!u) return;
    pde_flow_fields(p, w, z, u, scratch);
    for (int i = 0; i < all; i++) {
        for (int e = 0; e < 2; e++) {
            fd_real s = u[e * all + i] < 0 ? -u[e * all + i] : u[e * all + i];
            if (!(s <= most[e])) most[e] = s;
        }
        u[i] = -(u[i] * u[2 * all + i] + u[all + i] * u[3 * all + i]);
    }
    const double speed = p->dt * ((double)most[0] + (double)most[1]) * p->n;
    if (scratch.st->code) return;
    if (!(speed <= 1)) {
        FD_FAIL(scratch.st, FD_EDATA, "pde_flow_step",
                "the step is too long for this flow, take a smaller dt: dt (max |u| + max |v|) n must be at most 1, is in percent",
                (long long)fmin(100 * speed, 1e15));
        return;
    }
    fd_rfftn(2, n, 1, 1. / all, u, z + size, scratch);
    pde_times(p, PDE_KEEP, z, z), pde_times(p, PDE_PUSH, z + size, z + size);
    for (int i = 0; i < size; i++) z[i].re += z[size + i].re, z[i].im += z[size + i].im;
    for (int i = 0; i < size && p->f; i++) z[i].re += p->f[i].re, z[i].im += p->f[i].im;
    fd_irfftn(2, n, 1, 1, z, w, scratch);
}

/* pde_flow_back -- g = (dw'/dw)^T g at w before the step, in place. */
static inline void pde_flow_back(const pde_flow *p, const fd_real *w, fd_real *g, fd_arena scratch)
{
    static const int by[4] = { PDE_X, PDE_Y, PDE_U, PDE_V };    /* of u, v, w_x, w_y times P m */
    const int all = p->n * p->n, size = p->n * (p->n / 2 + 1);
    fd_cplx *z = fd_raw(&scratch, fd_cplx, size);
    fd_real *u = fd_raw(&scratch, fd_real, 4 * all), *m = fd_raw(&scratch, fd_real, all);
    fd_real *y = fd_raw(&scratch, fd_real, all);
    if (!y) return;
    pde_flow_fields(p, w, z, u, scratch);
    pde_field(p, PDE_PUSH, g, m, scratch), pde_field(p, PDE_KEEP, g, g, scratch);
    for (int k = 0; k < 4 && !scratch.st->code; k++) {
        for (int i = 0; i < all; i++) y[i] = u[k * all + i] * m[i];
        pde_field(p, by[k], y, y, scratch);
        for (int i = 0; i < all; i++) g[i] += y[i];
    }
}

/* pde_burgers_step -- u_t + u u_x = nu u_xx [FNO eq. 7; DiffusionPDE eq. 14], u [n] on the circle
 * of length 1, in place, by the same scheme; back: g = (du'/du)^T g at u before the step. */
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
                "the step is too long for this flow, take a smaller dt: dt max |u| n must be at most 1, is in percent",
                (long long)fmin(100 * p->dt * (double)most * n, 1e15));
        return;
    }
    fd_rfftn(1, &n, 1, 1. / n, back ? back : u, z, scratch);
    if (!back) fd_rfftn(1, &n, 1, 1. / n, y, z + half, scratch);
    for (int k = 0; k < half; k++) {
        const double v = .5 * p->dt * p->nu * pow(2 * pde_pi * k, 2);
        const double push = 3 * k <= n ? p->dt / (1 + v) * (2 * k == n ? 0 : 2 * pde_pi * k) : 0;
        fd_cplx *x = &z[k], *w = &z[half + k];
        if (back) w->re = (fd_real)(-push * (double)x->im), w->im = (fd_real)(push * (double)x->re);
        else {
            fd_cplx keep = *w;
            w->re = (fd_real)(push * (double)keep.im), w->im = (fd_real)(-push * (double)keep.re);
        }
        x->re = (fd_real)((double)x->re * (1 - v) / (1 + v)), x->im = (fd_real)((double)x->im * (1 - v) / (1 + v));
        if (!back) x->re += w->re, x->im += w->im;
    }
    fd_irfftn(1, &n, 1, 1, z, back ? back : u, scratch);
    if (!back) return;
    fd_irfftn(1, &n, 1, 1, z + half, y, scratch);
    for (int i = 0; i < n; i++) back[i] += u[i] * y[i];
}

/* ---- Radon transform on [-1, 1]^2, parallel beams ---------------------------------------------------
 *
 *     (R f)(theta, s) = int f(s cos theta - t sin theta, s sin theta + t cos theta) dt
 *
 * by 3n midpoints of t in [-1.5, 1.5] and bilinear interpolation between n x n cell centres, 0 outside. Row i of
 * f is at y = -1 + (i + 1/2) 2/n, column j at x alike. back: the exact transpose, f += R^T g. */
static inline void pde_radon(int n, int views, const double *theta, int beams, const double *s, int back,
                             double *f, double *g)
{
    for (int v = 0; v < views; v++)
        for (int b = 0; b < beams; b++) {
            double *sum = g + v * beams + b, c = cos(theta[v]), w = sin(theta[v]), dt = 1. / n;
            if (!back) *sum = 0;
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

/* ---- Mogi's source: what a volcano's ground does above a small chamber ------------------------------
 *
 * [Mogi] A change dv of volume at (x, y), depth d, moves the surface, rho the distance,
 *     u_z = (1 - nu) dv/pi d/(rho^2 + d^2)^3/2,   u_r = (1 - nu) dv/pi rho/(rho^2 + d^2)^3/2, nu = 1/4,
 * and a radar sees phase 4 pi/wave times the component along its line of sight, (-sin i cos h, sin i
 * sin h, cos i): incidence i, heading h clockwise from north. */
typedef struct { double x, y, d, dv; } pde_mogi;
static const double pde_mogi_nu = .25;

static inline void pde_mogi_ground(const pde_mogi *m, double x, double y, double u[3])   /* east, north, up */
{
    double dx = x - m->x, dy = y - m->y, r2 = dx * dx + dy * dy + m->d * m->d;
    double f = (1 - pde_mogi_nu) * m->dv / pde_pi / (r2 * sqrt(r2));
    u[0] = f * dx, u[1] = f * dy, u[2] = f * m->d;
}

static inline double pde_mogi_phase(const pde_mogi *m, double x, double y, double wave, double incidence,
                                    double heading)
{
    double u[3];
    pde_mogi_ground(m, x, y, u);
    return 4 * pde_pi / wave * (-sin(incidence) * cos(heading) * u[0] + sin(incidence) * sin(heading) * u[1]
                                + cos(incidence) * u[2]);
}

/* ---- Signed distances -------------------------------------------------------------------------------
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

static inline void pde_signed_distance(int n, int m, const unsigned char *in, double *sdf, fd_arena scratch)
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
#endif
