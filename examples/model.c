/* model.c -- how does a model of my own draw functions? It is one function behind fd_model.
 *
 * The data are two functions, g and -g. What is expected of x0 given X_t = x is then g tanh(u),
 * with u = m <g, x>/v in the Cameron-Martin norm of the noise: seven lines below, m and v of the
 * process being known (fd_law). Any program that denoises takes this place: b functions and a time
 * for each come in, b predictions go out, and `predicts` says what they are. Samplers, posteriors,
 * certificates take it as they take a network. Half of the samples are to be g. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, B = 1000, STEPS = 60 };
static char mem[16 << 20];

typedef struct { const fd_process *p; fd_real g[N], dual[N]; } mine;      /* dual: C^-1 g */

static void eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                 fd_real *y, fd_arena scratch)
{
    const mine *m = self;
    (void)scratch;
    for (int i = 0; i < b; i++, x += N, y += N) {
        fd_coef c = fd_law(m->p, t[i], 0);
        double u = tanh(c.m * fd_inner(s, m->dual, x) / c.v);
        for (int j = 0; j < N; j++) y[j] = (fd_real)(u * (double)m->g[j]);
    }
}

int main(void)
{
    fd_status  st;
    fd_arena   a = fd_arena_over(mem, sizeof mem, &st);
    fd_space   s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_process p = fd_vp(fd_cov_matern(&a, &s, 1.0, 0.1, 1.5), 0.1, 20.0);
    mine       m = { .p = &p };
    double     t[STEPS + 1], off = 0;
    fd_real    x[2 * N], y[2][2 * N], *drawn = fd_raw(&a, fd_real, B * N);
    for (int j = 0; j < N; j++) m.g[j] = (fd_real)cos(2 * acos(-1) * fd_coord(&s, 0, j));
    fd_cov_pow(p.noise, -1, 1, m.g, m.dual, a);
    fd_model own = { .predicts = FD_X0, .eval = eval, .self = &m };

    /* the same by the library, whose exact model of a set of functions knows it */
    for (int j = 0; j < N; j++) x[j] = m.g[j], x[N + j] = -m.g[j];
    fd_model same = fd_oracle_data(&a, &p, 2, x);
    fd_cov_draw(p.noise, fd_seed(1), 0, 2, x, a);
    fd_predict(&own, FD_X0, &p, 2, x, (double[]){ .2, .5 }, y[0], a);
    fd_predict(&same, FD_X0, &p, 2, x, (double[]){ .2, .5 }, y[1], a);
    for (int j = 0; j < 2 * N; j++) off = fmax(off, fabs((double)y[0][j] - (double)y[1][j]));

    fd_times(&p, FD_LOGSNR, 0, STEPS, t, &st);
    fd_sampler how = { .p = &p, .model = own, .t = t, .steps = STEPS,
                       .scheme = FD_ANCESTRAL, .denoise = 1 };
    fd_sample(&how, fd_seed(2), 0, B, drawn, a);
    int plus = 0;
    double far = 0;
    for (int i = 0; i < B && !st.code; i++) {
        double sign = (double)drawn[i * N] > 0 ? 1 : -1;
        plus += sign > 0;
        for (int j = 0; j < N; j++)
            far = fmax(far, fabs((double)drawn[i * N + j] - sign * (double)m.g[j]));
    }
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "model: %s\n", why), 1;
    printf("apart from the library's model of two functions by %.1e\n", off);
    printf("%d samples: %d are g, %d are -g, none is farther from it than %.1e\n", B, plus,
           B - plus, far);
    return 0;
}
