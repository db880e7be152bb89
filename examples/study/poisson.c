/* poisson.c -- is a function found again from its gradient alone?
 *
 * A coordinate network is trained on derivatives only [SIREN; Thesis eq. 3.70]: the loss is
 * int |grad u - g|^2 over 32x32 points, so each step differentiates the network by its input and
 * the result by its weights, which is second order on the tape (FD_GRAD2). So that it can be
 * differentiated by them, a point's coordinates come as channels, and each point is a sample on a
 * grid of one cell. u is known, and the error is that of u up to a constant, on 128x128 points.
 *
 * Beside it, from the same numbers, the least squares solution in the cosines of the grid, which
 * is the Poisson equation mode by mode, u_k = <grad e_k, g>/mu_k, of all modes and of |k| <= cut
 * with the best cut; and the same network trained on values of u. First g is exact, then with noise
 * of .3 of its size. What noise adds to the least squares solution is known:
 * E |u^ - u|^2 = sigma^2 h sum_k 1/mu_k, h the area of a cell.
 *
 * build/poisson [STEPS, 3000]: table, out/poisson.csv, out/poisson.png. See poisson.md. */
#include "fd.h"
#include "plot.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { N = 32, P = N * N, F = 128, Q = F * F, SEEDS = 2, LOOKS = 5, OMEGAS = 2, KINDS = 3,
       DRAWS = 16 };
static const double PI = 3.14159265358979323846, NOISE = .3, omega[OMEGAS] = { 6, 15 };
static const char *const kind[KINDS] = { "exact gradient", "gradient + noise", "exact values" };

/* The function on the unit square, and its gradient: a wave, a hill and a slope. */
static double known(double x, double y, double g[2])
{
    double w = 3 * PI * x + 3 * y, e = 1.5 * exp(-(pow(x - .3, 2) + pow(y - .6, 2)) / (2 * .01));
    if (g) g[0] = 3 * PI * cos(w) - e * (x - .3) / .01 + y;
    if (g) g[1] = 3 * cos(w) - e * (y - .6) / .01 + x;
    return sin(w) + e + x * y;
}

/* Points of a grid of n x n cells [2][n * n], values and gradients there. */
static void points(int n, fd_real *x, fd_real *u, fd_real *g)
{
    for (int i = 0; x && i < n * n; i++) {
        double d[2], at[2] = { (i / n + .5) / n, (i % n + .5) / n };
        u[i] = (fd_real)known(at[0], at[1], d);
        for (int j = 0; j < 2; j++) {
            x[j * n * n + i] = (fd_real)(2 * at[j] - 1);       /* from -1 to 1 */
            if (g) g[j * n * n + i] = (fd_real)d[j];
        }
    }
}

/* Root mean square of v - u without their means, relative to u; v loses its mean. */
static double error_of(int n, fd_real *v, const fd_real *u)
{
    double mv = 0, mu = 0, e = 0, all = 0;
    for (int i = 0; i < n; i++) mv += (double)v[i] / n, mu += (double)u[i] / n;
    for (int i = 0; i < n; i++) {
        v[i] -= (fd_real)mv;
        e += pow((double)v[i] - (double)u[i] + mu, 2), all += pow((double)u[i] - mu, 2);
    }
    return sqrt(e / all);
}

/* least_squares -- c [N][N], coefficients of cos(pi j x) cos(pi k y), from g [2][P]. */
static void least_squares(const fd_real *g, double *c)
{
    for (int jk = 1; jk < P; jk++) {
        const int j = jk / N, k = jk % N;
        double sum = 0;
        for (int i = 0; i < P; i++) {
            const double x = PI * (i / N + .5) / N, y = PI * (i % N + .5) / N;
            sum -= PI * (j * sin(j * x) * cos(k * y) * (double)g[i]
                         + k * cos(j * x) * sin(k * y) * (double)g[P + i]);
        }
        c[jk] = (j ? 2 : 1) * (k ? 2 : 1) * sum / P / (PI * PI * (j * j + k * k));
    }
}

/* cosines -- v [Q], the sum of those with j^2 + k^2 <= cut^2. */
static void cosines(const double *c, double cut, fd_real *v, fd_arena a)
{
    double *left = fd_new(&a, double, F * N), *wave = fd_new(&a, double, F * N);
    for (int i = 0; wave && i < F * N; i++) wave[i] = cos(PI * (i % N) * (i / N + .5) / F);
    for (int i = 0; wave && i < F * N; i++)
        for (int j = 0; j < N; j++)
            if (j * j + i % N * (i % N) <= cut * cut)
                left[i] += c[j * N + i % N] * wave[i / N * N + j];
    for (int i = 0; wave && i < Q; i++) {
        double sum = 0;
        for (int k = 0; k < N; k++) sum += left[i / F * N + k] * wave[i % F * N + k];
        v[i] = (fd_real)sum;
    }
}

/* swap -- [2][n] to [n][2]: for the network each point is a sample on a grid of one cell. */
static void swap(int n, const fd_real *x, fd_real *y)
{
    for (int i = 0; y && i < 2 * n; i++) y[i % n * 2 + i / n] = x[i];
}

/* train -- a SIREN on g [2][P] or, where it is NULL, on u. err[i] after at[i] steps, on F x F
 * points, where v [Q] then is u. */
static void train(double how_fast, int seed, const int at[LOOKS], const fd_real *u,
                  const fd_real *g, fd_real *v, double err[LOOKS], fd_arena a)
{
    const fd_arch arch = { .kind = FD_SIREN, .nd = 1, .in = 2, .out = 1, .edges = FD_EDGES_PLAIN,
                           .width = 64, .layers = 3, .inr.omega = how_fast };
    fd_space one = fd_grid(&a, 1, (int[]){ 1 }, NULL, NULL, 1), two = one;
    fd_net *net = fd_net_new(&a, &arch, fd_seed((uint64_t)seed));
    fd_adam how = fd_adam_default(FD_ADAMW);
    how.lr = 2e-3, how.steps = at[LOOKS - 1], how.ema = 0;
    fd_opt *opt = fd_opt_new(&a, net, &how);
    fd_real *x = fd_raw(&a, fd_real, 2 * Q), *in = fd_raw(&a, fd_real, 2 * P);
    fd_real *fine = fd_raw(&a, fd_real, 2 * Q), *want = fd_raw(&a, fd_real, 2 * P);
    fd_real *known_u = fd_raw(&a, fd_real, Q);
    if (!known_u) return;
    two.ch = 2;
    points(N, x, known_u, NULL), swap(P, x, in);
    points(F, x, known_u, NULL), swap(Q, x, fine);
    if (g) swap(P, g, want);
    for (int i = 0, look = 0; i <= at[LOOKS - 1] && !a.st->code; i++) {
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        if (i == at[look]) {
            fd_var *y = fd_forward(net, &t, &two, fd_input(&t, 3, (int[]){ Q, 2, 1 }, fine), NULL);
            if (y) memcpy(v, y->x, Q * sizeof *v), err[look++] = error_of(Q, v, known_u);
        }
        fd_tape_end(&t);
        t = fd_tape_begin(&a, g ? FD_GRAD2 : FD_GRAD);
        fd_var *p = fd_param(&t, 3, (int[]){ P, 2, 1 }, in, NULL), *du = NULL;
        fd_var *y = fd_forward(net, &t, &two, p, NULL);
        if (g) fd_grad(&t, y, NULL, 1, &p, &du);         /* by 2 x - 1, so twice that is grad u */
        fd_backward(&t, g ? fd_mse_loss(&t, &two, fd_affine(&t, du, 2, 0), want, NULL)
                          : fd_mse_loss(&t, &one, y, u, NULL));
        fd_opt_step(opt, net, a.st);
        fd_tape_end(&t);
    }
}

static double out[KINDS * OMEGAS * SEEDS * LOOKS + 4][5], all[2], best[2] = { 1, 1 }, left;
static fd_real *g, *noisy, *fine, *v;  /* gradient; with noise; u on F x F points; room [3][Q] */
static int rows;

/* solve -- least squares from g and from noisy, which it makes; mean: that of fine. */
static void solve(double mean, fd_arena a)
{
    static double c[P];
    double size_g = 0, size_u = 0, known_noise = 0, drawn = 0, cut[2];
    for (int i = 0; i < 2 * P; i++) size_g += (double)g[i] * (double)g[i] / (2 * P);
    for (int d = DRAWS; d > 0; d--) {            /* least squares of noise; the last draw is used */
        fd_normal(fd_seed((uint64_t)d), 2 * P, noisy);
        for (int i = 0; i < 2 * P; i++) noisy[i] *= (fd_real)(NOISE * sqrt(size_g));
        least_squares(noisy, c);
        for (int i = 1; i < P; i++)
            drawn += c[i] * c[i] / (i / N ? 2 : 1) / (i % N ? 2 : 1) / DRAWS;
    }
    for (int i = 0; i < 2 * P; i++) noisy[i] += g[i];
    for (int i = 0; i < Q; i++) size_u += pow((double)fine[i] - mean, 2) / Q;
    for (int i = 1; i < P; i++)
        known_noise += NOISE * NOISE * size_g / P / (PI * PI * (i / N * (i / N) + i % N * (i % N)));
    for (int i = 0; i < 2; i++) {
        least_squares(i ? noisy : g, c);
        for (double r = 1; r < 46; r++) {
            cosines(c, r, v, a);
            double e = error_of(Q, v, fine);
            if (e < best[i]) best[i] = e, cut[i] = r;
            all[i] = e;
        }
        memcpy(out[rows++], (double[]){ i, -1, 0, 0, all[i] }, sizeof out[0]);
        memcpy(out[rows++], (double[]){ i, -2, cut[i], 0, best[i] }, sizeof out[0]);
        printf("%s: least squares in cosines %.5f, with |k| <= %.0f %.5f\n", kind[i], all[i],
               cut[i], best[i]);
    }
    left = sqrt(known_noise / size_u);
    printf("noise alone leaves %.4f of the size of u by the formula, %.4f in %d draws\n\n", left,
           sqrt(drawn / size_u), DRAWS);
    cosines(c, 99, v + 2 * Q, a), error_of(Q, v + 2 * Q, fine);
}

int main(int argc, char **argv)
{
    static const char *const head[] = { "kind", "omega", "seed", "steps", "error" };
    const int steps = argc > 1 ? atoi(argv[1]) : 3000;
    const int at[LOOKS] = { steps / 100, steps / 30, steps / 10, steps / 3, steps };
    size_t size = (size_t)256 << 20;
    void *mem = malloc(size);
    fd_status st;
    fd_arena a = fd_arena_over(mem, size, &st);
    if (!mem || steps < 100)
        return fprintf(stderr, "poisson: needs 256 MB of memory and at least 100 steps\n"), 1;
    fd_real *x = fd_raw(&a, fd_real, 2 * Q), *u = fd_raw(&a, fd_real, P);
    double mean = 0, lo[KINDS], hi[KINDS];
    g = fd_raw(&a, fd_real, 4 * P), noisy = g + 2 * P;
    fine = fd_raw(&a, fd_real, Q), v = fd_raw(&a, fd_real, 3 * Q);
    points(N, x, u, g), points(F, x, fine, NULL);
    for (int i = 0; i < Q; i++) mean += (double)fine[i] / Q;
    solve(mean, a);
    printf("%-17s %5s %4s", "SIREN trained on", "omega", "seed");
    for (int l = 0; l < LOOKS; l++) printf("%9d", at[l]);
    printf("   steps: error of u on 128x128 points\n");
    for (int k = 0; k < KINDS; k++)
        for (int o = 0; o < OMEGAS; o++)
            for (int s = 1; s <= SEEDS; s++) {
                double err[LOOKS] = { 0 };
                fd_real *to = k == 1 && o == 0 && s == 1 ? v + Q : v;
                train(omega[o], s, at, u, k == 2 ? NULL : k ? noisy : g, to, err, a);
                printf("%-17s %5.0f %4d", kind[k], omega[o], s);
                for (int l = 0; l < LOOKS; l++, rows++) {
                    printf("%9.5f", err[l]);
                    memcpy(out[rows], (double[]){ k, omega[o], s, at[l], err[l] }, sizeof out[0]);
                }
                printf("\n"), fflush(stdout);
                if (!o && s == 1) lo[k] = hi[k] = err[LOOKS - 1];
                lo[k] = fmin(lo[k], err[LOOKS - 1]), hi[k] = fmax(hi[k], err[LOOKS - 1]);
            }
    printf("\nverdict: from the exact gradient the SIRENs err by %.5f to %.5f, least squares by "
           "%.5f;\non exact values the SIRENs err by %.5f to %.5f. With noise they end at %.4f to "
           "%.4f,\nleast squares at %.4f, at best at %.4f (known in the mean: %.4f)\n",
           lo[0], hi[0], all[0], lo[2], hi[2], lo[1], hi[1], all[1], best[1], left);
    plot_canvas pic = plot_new(&a, 2 * 300 + 10, 3 * 266 + 10);
    const char *const label[6] = { "u", "du/dx and noise", "du/dy and noise", "u from these, SIREN",
                                   "its error", "error of least squares" };
    for (int i = 0; i < Q; i++) {
        fine[i] -= (fd_real)mean;
        v[i] = v[Q + i] - fine[i], v[2 * Q + i] -= fine[i];
    }
    for (int i = 0; i < 6; i++) {
        const fd_real *show[6] = { fine, noisy, noisy + P, v + Q, v, v + 2 * Q };
        int n = i == 1 || i == 2 ? N : F;
        double top = i == 1 || i == 2 ? 20 : i < 4 ? 2 : .3;
        plot_text(&pic, 8 + i / 3 * 300, 10 + i % 3 * 266, 2, label[i]);
        plot_image(&pic, 34 + i / 3 * 300, 10 + i % 3 * 266, n, n, show[i], -top, top, FD_DIVERGING,
                   256 / n);
    }
    mkdir("out", 0777);
    if (pic.rgb) fd_png_save(&st, "out/poisson.png", pic.h, pic.w, pic.rgb);
    fd_csv_save(&st, "out/poisson.csv", 5, head, rows, out[0]);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "poisson: %s\n", why), 1;
    printf("wrote out/poisson.png and out/poisson.csv\n");
    return 0;
}
