/* deeponet.c -- how is a network of my own made? It is one function; here that of DeepONet.
 *
 * G(u)(y) = sum_k b_k(u) t_k(y) + b_0 [DeepONet sec. 2]: the branch b reads u at SENSORS places,
 * the trunk t one place y: any may be asked for. G is to be the antiderivative, known exactly for
 * sums of cosines. The function names each weight; fd_net_define runs it once to learn them. */
#include "fd.h"
#include <math.h>
#include <stdio.h>

enum { N = 64, FINE = 256, SENSORS = 32, W = 64, B = 64, SET = 32 * B, M = 200, STEPS = 3000 };
static char mem[64 << 20], why[160];

static fd_var *deeponet(fd_pass *p, fd_var *x, const void *self)
{
    fd_tape *t = p->t;
    (void)self;
    fd_var *u = fd_regrid(t, fd_channels_last(p, x), 1, p->s->bc, (int[]){ SENSORS });
    u = fd_reshape(t, u, 2, (int[]){ p->b, SENSORS });
    fd_var *b = fd_mlp(p, "branch", u, SENSORS, W, W, FD_GELU);
    fd_var *y = fd_slice(t, fd_coordinates(p, p->to, 0), 0, 0, 1);            /* [1][points][1] */
    y = fd_map(t, fd_mlp(p, "trunk", y, 1, W, W, FD_GELU), FD_GELU);
    y = fd_reshape(t, fd_dense_layer(p, "basis", y, W, W), 2, (int[]){ (int)p->to->points, W });
    fd_var *b0 = fd_weight(p, "b0", 1, (int[]){ 1 }, fd_init_constant(0));
    y = fd_add(t, fd_matmul(t, 0, 1, b, y), b0);                              /* [b][points] */
    return fd_reshape(t, y, 3, (int[]){ p->b, 1, (int)p->to->points });
}

/* draw -- b functions u on n points, and their antiderivatives there. */
static void draw(const fd_cov *c, fd_rng r, int b, fd_real *u, fd_real *v, fd_arena a)
{
    const ptrdiff_t n = c->s.points;
    fd_real *w = fd_raw(&a, fd_real, b * n);
    fd_cov_draw(c, r, 0, b, u, a);
    fd_to_modes(&c->s, b, u, w, a);
    for (ptrdiff_t i = 0; w && i < b * n; i++) {
        double y = fd_coord(&c->s, 0, (int)(i % n)), sum = (double)w[i / n * n] * y, pi = acos(-1);
        for (int k = 1; k < N; k++)
            sum += (double)w[i / n * n + k] * sqrt(2) * sin(k * pi * y) / (k * pi);
        v[i] = (fd_real)sum;
    }
}

int main(void)
{
    fd_status st;
    fd_arena  a = fd_arena_over(mem, sizeof mem, &st);
    fd_space  s[2];
    fd_real  *u[3], *v[3];
    for (int i = 0; i < 3; i++) {                      /* to learn from; others, on two grids */
        int n = i < 2 ? N : FINE, many = i ? M : SET;
        s[i / 2] = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
        u[i] = fd_raw(&a, fd_real, many * n), v[i] = fd_raw(&a, fd_real, many * n);
        draw(fd_cov_rbf(&a, &s[i / 2], 1, .2), fd_seed(i > 0), many, u[i], v[i], a);
    }
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 3e-3, adam.steps = STEPS;
    fd_net *net = fd_net_define(&a, deeponet, NULL, &s[0], fd_seed(2));
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    for (int i = 1; i <= STEPS && !st.code; i++) {
        ptrdiff_t at = i % (SET / B) * B * N;
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *x = fd_input(&t, 3, (int[]){ B, 1, N }, u[0] + at);
        fd_var *y = fd_forward(net, &t, &s[0], x, NULL);
        fd_backward(&t, fd_mse_loss(&t, &s[0], y, v[0] + at, NULL));
        fd_tape_end(&t);
        fd_opt_step(opt, net, &st);
    }
    for (int g = 0; g < 2; g++) {                      /* u on N points, its image on N and FINE */
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *x = fd_input(&t, 3, (int[]){ M, 1, N }, u[1]);
        fd_var *y = fd_query(net, &t, &s[0], x, NULL, &s[g]);
        double off = 0, all = 0;
        for (ptrdiff_t i = 0; y && i < fd_count(y); i++) {
            off += pow((double)y->x[i] - (double)v[1 + g][i], 2);
            all += pow((double)v[1 + g][i], 2);
        }
        printf("error on %d points, relative: %.3f\n", s[g].n[0], sqrt(off / all));
    }
    return fd_explain(&st, why, 160) ? fprintf(stderr, "deeponet: %s\n", why), 1 : 0;
}
