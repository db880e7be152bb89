/* gan.c -- a generator against a critic, both operators on functions [Thesis sec. 3.2], as in
 * generative adversarial neural operators (Rahman et al., arXiv 2205.03017).
 *
 *     gan [--data IMAGES --labels LABELS]             rows of the table of rivals.h
 *
 * The generator is a Fourier operator from a Gaussian random function; the critic is one whose
 * output is averaged over the domain, so that it is a functional, and both act on every grid. Their
 * game is that of Wasserstein distance with a penalty on gradients,
 *
 *     critic     min  E D(G(w)) - E D(x) + 10 E (|grad D(y)| - 1)^2,   y between x and G(w),
 *     generator  min  - E D(G(w)).
 *
 * grad D is the gradient in L2: the derivatives by the values at the points, over the weight h of a
 * point. With the derivatives themselves the slope 1 that is asked for would be another one on
 * every grid. It is differentiated once more, for the weights, on a tape of second order. No time,
 * no sampler: a draw is one evaluation. */
#include "rivals.h"

typedef struct { int batch, steps, critics, width, modes, stencil; double lr; } setting;
static const setting set[TRIALS] = {
    { 32, 1500, 3, 24, 16, 0, 1e-3 },
    { 16, 250, 3, 16, 20, 3, 1e-3 } };

typedef struct {
    const trial *q;
    const setting *w;
    learner gen, critic;
    fd_real *real, *fake, *mid, *noise;    /* real and fake: one after the other */
    double gap;                            /* of the critic, on average lately */
} game;

/* incoming -- n Gaussian random functions on grid g, the generator's input. */
static void incoming(const trial *q, int g, fd_rng r, int n, fd_real *x, fd_arena a)
{
    fd_cov_draw(fd_cov_matern(&a, &q->s[g], 1, .1, 1.5), r, 0, n, x, a);
}

static fd_var *value(const fd_net *critic, fd_tape *t, const fd_space *s, fd_var *x)
{
    return domain_mean(t, fd_forward(critic, t, s, x, NULL));
}

/* judge -- one step of the critic. */
static void judge(game *m, uint32_t k, fd_arena a)
{
    const fd_space *s = &m->q->s[0];
    const int b = m->w->batch, n[3] = { b, 1, (int)s->points };
    const ptrdiff_t size = b * s->points;
    fd_rng r = fd_stream(fd_seed(m->q->o->seed), 'j', k);
    fd_net *net = m->critic.net;
    fd_real u[256], sign[512];
    batch_take(m->q, k, b, m->real, a);
    incoming(m->q, 0, fd_stream(r, 'w', 0), b, m->noise, a);
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(m->gen.net, &t, s, fd_input(&t, 3, n, m->noise), NULL);
    need(a.st);
    memcpy(m->fake, y->x, (size_t)size * sizeof *m->fake);
    fd_tape_end(&t);
    fd_uniform(fd_stream(r, 'u', 0), b, u);
    for (ptrdiff_t i = 0; i < size; i++)
        m->mid[i] = m->fake[i] + u[i / s->points] * (m->real[i] - m->fake[i]);
    for (int i = 0; i < 2 * b; i++) sign[i] = (fd_real)((i < b ? -1. : 1.) / b);

    t = fd_tape_begin(&a, FD_GRAD);                    /* E D(fake) - E D(real) */
    fd_var *d = value(net, &t, s, fd_input(&t, 3, (int[]){ 2 * b, 1, n[2] }, m->real));
    d = fd_sum_to(&t, fd_mul(&t, d, fd_input(&t, 2, (int[]){ 2 * b, 1 }, sign)), 1, (int[]){ 1 });
    fd_backward(&t, d);
    if (d) m->gap += .02 * (-(double)d->x[0] - m->gap);
    fd_tape_end(&t);

    t = fd_tape_begin(&a, FD_GRAD2);                   /* 10 E (|grad D| - 1)^2 */
    fd_var *x = fd_param(&t, 3, n, m->mid, NULL), *g = NULL;
    fd_grad(&t, value(net, &t, s, x), NULL, 1, &x, &g);
    g = fd_sum_to(&t, fd_map(&t, g, FD_SQUARE), 3, (int[]){ b, 1, 1 });
    g = fd_map(&t, fd_affine(&t, g, 1 / s->h, 1e-12), FD_SQRT);
    fd_backward(&t, fd_affine(&t, fd_map(&t, fd_affine(&t, g, 1, -1), FD_SQUARE), 10. / b, 0));
    fd_tape_end(&t);
    fd_opt_step(m->critic.opt, net, a.st);
    need(a.st);
}

static double play(void *self, int k, fd_arena a)
{
    game *m = self;
    const fd_space *s = &m->q->s[0];
    const int b = m->w->batch;
    for (int i = 0; i < m->w->critics; i++) judge(m, (uint32_t)(k * m->w->critics + i), a);
    incoming(m->q, 0, fd_stream(fd_seed(m->q->o->seed), 'g', (uint32_t)k), b, m->noise, a);
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *x = fd_input(&t, 3, (int[]){ b, 1, (int)s->points }, m->noise);
    fd_var *d = value(m->critic.net, &t, s, fd_forward(m->gen.net, &t, s, x, NULL));
    fd_backward(&t, fd_affine(&t, d, -1. / b, 0));
    fd_tape_end(&t);
    memset(m->critic.net->g, 0, (size_t)m->critic.net->count * sizeof *m->critic.net->g);
    fd_opt_step(m->gen.opt, m->gen.net, a.st);
    return m->gap;
}

static void gan_draw(const void *self, const trial *q, int g, int n, fd_real *x, fd_arena a)
{
    const fd_space *s = &q->s[g];
    const game *m = self;
    incoming(q, g, fd_stream(fd_seed(q->o->seed), 's', 0), n, x, a);
    for (int i = 0; i < n; i += 16) {
        int b = n - i < 16 ? n - i : 16;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_input(&t, 3, (int[]){ b, 1, (int)s->points }, x + i * s->points);
        y = fd_forward(m->gen.avg, &t, s, y, NULL);
        need(a.st);
        memcpy(x + i * s->points, y->x, (size_t)(b * s->points) * sizeof *x);
        fd_tape_end(&t);
    }
}

static void make(const trial *q, fd_arena a)
{
    const setting *w = &set[q->kind];
    const fd_space *s = &q->s[0];
    fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = s->nd, .in = 1, .out = 1, .width = w->width,
                     .layers = 3, .time = FD_TIME_NONE, .coords = FD_COORD_OPEN,
                     .grid = { s->n[0], s->n[1] },
                     .fno = { .modes = { w->modes, w->modes }, .lift = -1, .proj = 64,
                              .residual = 1, .stencil = w->stencil } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = w->lr, adam.warmup = 20, adam.beta1 = 0, adam.beta2 = .9, adam.ema = .99;
    adam.steps = w->steps;
    game m = { .q = q, .w = w, .gen = learner_new(&a, q, "gan", "-generator", &arch, &adam) };
    adam.steps *= w->critics;
    m.critic = learner_new(&a, q, "gan", "-critic", &arch, &adam);
    m.real = fd_raw(&a, fd_real, 4 * w->batch * s->points);
    need(a.st);
    m.fake = m.real + w->batch * s->points, m.mid = m.fake + w->batch * s->points;
    m.noise = m.mid + w->batch * s->points;
    learn(q, "gan", 2, (learner *[]){ &m.gen, &m.critic }, w->steps, play, &m, a);
    rival_draw(q, "gan", gan_draw, &m, a);
}

int main(int argc, char **argv) { return rivals_main("gan", argc, argv, make); }
