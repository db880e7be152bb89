/* vae.c -- variational autoencoders of functions [Thesis sec. 3.1]: what noise may the likelihood
 * have?
 *
 *     vae [--data IMAGES --labels LABELS]             rows of the table of rivals.h
 *
 * x = f(z) + e, z ~ N(0, 1) in d numbers, f a SIREN that they modulate, e ~ N(0, C) with
 * eigenvalues lam_k; the code has the law N(mu(x), s(x)^2), both means over the domain of a Fourier
 * operator. The usual e, a fixed variance at each pixel, has an ELBO that grows with the number of
 * pixels: on a finer grid it is another model. Functions have no Lebesgue density; here densities
 * are those by the law of e alone, and x and f(z) lie in the Cameron-Martin space of C:
 *
 *     -ELBO = E |x - f(z)|_C^2 /2 - |x|_C^2 /2 + KL,      |u|_C^2 = sum u_k^2/lam_k,
 *
 * which converges where the data are smoother than e. Two choices do: white noise of one variance
 * in each mode (its variance per area is fixed, not per pixel), by which |.|_C is L2, but draws
 * f(z) + e are no functions, and a Matern noise rougher than the data, whose draws are.
 *
 * Checked where the best is known: Gaussian data with eigenvalues c_k, f linear in z. The best ELBO
 * is then the best evidence (principal components, as many as d, of the modes by r = c/lam),
 *
 *     sum over the d largest r_k > 1 of (r_k - 1 - log r_k)/2,
 *
 * a number that has a limit in the number of points; with noise at the pixels it grows. The
 * program trains that autoencoder by samples, and takes its ELBO in closed form. */
#include "rivals.h"

typedef struct {
    int code, batch, steps, width, layers, modes, stencil;
    double omega, var;                     /* var: of a mode of white noise */
} setting;
static const setting set[TRIALS] = {
    { 8, 64, 6000, 48, 3, 16, 0, 10, 1e-4 },
    { 32, 16, 1500, 64, 4, 16, 3, 15, 2e-5 } };

/* ---- The linear one -------------------------------------------------------------------------- */

enum { LINEAR = 4, FINEST = 128, TAKES = 64, LINEAR_STEPS = 3000 };

/* In modes over the deviations of the data: x_k ~ N(0, 1), decoder w [d][n], encoder v [n][d],
 * log s [d]. -ELBO of TAKES functions: sum_k r_k ((x_k - sum_j z_j w_jk)^2 - x_k^2)/2 + KL. */
static fd_var *linear_loss(fd_tape *t, const fd_net *net, int n, const fd_real *r, const fd_real *x,
                           const fd_real *xi)
{
    const int wide[2] = { LINEAR, n }, tall[2] = { n, LINEAR }, d = LINEAR;
    ptrdiff_t at = 0;
    fd_var *w = next(t, net, &at, 2, wide), *v = next(t, net, &at, 2, tall);
    fd_var *logs = next(t, net, &at, 1, &d), *vx = fd_input(t, 2, (int[]){ TAKES, n }, x);
    fd_var *mu = fd_matmul(t, 0, 0, vx, v), *vr = fd_input(t, 1, &n, r);
    fd_var *z = fd_mul(t, fd_map(t, logs, FD_EXP), fd_input(t, 2, (int[]){ TAKES, d }, xi));
    fd_var *off = fd_sub(t, vx, fd_matmul(t, 0, 0, fd_add(t, mu, z), w));
    off = fd_sub(t, fd_map(t, off, FD_SQUARE), fd_map(t, vx, FD_SQUARE));
    off = fd_sum_to(t, fd_mul(t, off, vr), 1, (int[]){ 1 });
    fd_var *kl = fd_affine(t, logs, -2 * TAKES, -TAKES);
    kl = fd_add(t, kl, fd_affine(t, fd_map(t, fd_affine(t, logs, 2, 0), FD_EXP), TAKES, 0));
    kl = fd_add(t, fd_sum_to(t, kl, 1, (int[]){ 1 }),
                fd_sum_to(t, fd_map(t, mu, FD_SQUARE), 1, (int[]){ 1 }));
    return fd_affine(t, fd_add(t, off, kl), .5 / TAKES, 0);
}

/* linear_elbo -- its mean over the law of the data, in closed form. */
static double linear_elbo(int n, const fd_real *r, const fd_real *p)
{
    const fd_real *w = p, *v = p + LINEAR * n, *logs = v + n * LINEAR;
    double sum = 0;
    for (int k = 0; k < n; k++) {                      /* off_k = x_k - sum_i w_jk v_ij x_i - .. */
        double off = -1;
        for (int i = 0; i < n; i++) {
            double c = i == k;
            for (int j = 0; j < LINEAR; j++) c -= (double)w[j * n + k] * (double)v[i * LINEAR + j];
            off += c * c;
        }
        for (int j = 0; j < LINEAR; j++)
            off += pow((double)w[j * n + k], 2) * exp(2 * (double)logs[j]);
        sum -= (double)r[k] * off / 2;
    }
    for (int j = 0; j < LINEAR; j++) {
        double m = -1 + exp(2 * (double)logs[j]) - 2 * (double)logs[j];
        for (int i = 0; i < n; i++) m += pow((double)v[i * LINEAR + j], 2);
        sum -= m / 2;
    }
    return sum;
}

static int descending(const void *x, const void *y)
{
    fd_real p = *(const fd_real *)x, q = *(const fd_real *)y;
    return (p < q) - (p > q);
}

/* linear -- both for one noise and one grid: r [n] = c/lam. */
static void linear(const char *name, int n, fd_real *r, fd_arena a)
{
    fd_net *net = fd_new(&a, fd_net, 1);
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = .02, adam.steps = LINEAR_STEPS, adam.warmup = 100, adam.ema = .99;
    need(a.st);
    net->count = LINEAR * (2 * n + 1);
    net->w = fd_raw(&a, fd_real, net->count), net->g = fd_new(&a, fd_real, net->count);
    fd_real *x = fd_raw(&a, fd_real, TAKES * n), *xi = fd_raw(&a, fd_real, TAKES * LINEAR);
    need(a.st);
    qsort(r, (size_t)n, sizeof *r, descending);
    double best = 0;
    for (int k = 0; k < LINEAR && r[k] > 1; k++) best += ((double)r[k] - 1 - log((double)r[k])) / 2;
    fd_normal(fd_seed(3), net->count, net->w);
    for (int i = 0; i < net->count; i++) net->w[i] *= (fd_real).1;
    fd_opt *opt = fd_opt_new(&a, net, &adam);
    for (int k = 0; k < LINEAR_STEPS && !a.st->code; k++) {
        fd_normal(fd_stream(fd_seed(4), 'x', (uint32_t)k), TAKES * n, x);
        fd_normal(fd_stream(fd_seed(4), 'z', (uint32_t)k), TAKES * LINEAR, xi);
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_backward(&t, linear_loss(&t, net, n, r, x, xi));
        fd_tape_end(&t);
        fd_opt_step(opt, net, a.st);
    }
    need(a.st);
    printf("%-28s %6d %14.4f %14.4f\n", name, n, best, linear_elbo(n, r, opt->avg));
    fflush(stdout);
}

static void linear_table(fd_arena a)
{
    static const char *const name[3] = { "white, per area", "Matern 1/2", "white, per pixel" };
    printf("%-28s %6s %14s %14s\n", "linear: noise", "points", "best evidence", "ELBO, trained");
    for (int kind = 0; kind < 3; kind++)
        for (int n = FINEST / 4; n <= FINEST; n *= 2) {
            fd_arena b = a;
            fd_space s = fd_grid(&b, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
            const fd_cov *c = fd_cov_matern(&b, &s, 1, .3, 1.5);
            const fd_cov *e = fd_cov_matern(&b, &s, .05, .1, .5);
            fd_real r[FINEST];
            need(b.st);
            for (int k = 0; k < n; k++)
                r[k] = (fd_real)(c->lam[k] / (kind == 1 ? e->lam[k] : kind ? .32 * s.h : .01));
            linear(name[kind], n, r, b);
        }
}

/* ---- The one on functions -------------------------------------------------------------------- */

typedef struct {
    const trial *q;
    const setting *w;
    learner enc, dec;
    const fd_cov *inverse;                 /* eigenvalues 1/lam_k */
    int matern, residual;
    fd_real *x, *xi;
} vae;

/* noise -- C on a grid: white, or a Matern covariance of the same trace on the first grid. */
static const fd_cov *noise(fd_arena *a, const vae *m, const fd_space *s)
{
    const double var = m->w->var * (double)m->q->s[0].points;
    return m->matern ? fd_cov_matern(a, s, var, .1, m->q->kind ? .5 : 1.5)
                     : fd_cov_white(a, s, m->w->var, 0);
}

/* precision -- what |.|_C^2 is made of: eigenvalues 1/lam_k. */
static const fd_cov *precision(fd_arena *a, const vae *m, const fd_space *s)
{
    const fd_cov *c = noise(a, m, s);
    double *inverse = fd_new(a, double, s->modes);
    need(a->st);
    for (ptrdiff_t k = 0; k < s->modes; k++) inverse[k] = c->lam[k] > 0 ? 1 / c->lam[k] : 0;
    return fd_cov_table(a, s, inverse);
}

/* half_norm -- |u|_C^2/2, the sum over a batch. */
static fd_var *half_norm(fd_tape *t, const fd_cov *inverse, fd_var *u)
{
    u = fd_map(t, fd_cov_apply(t, inverse, .5, u), FD_SQUARE);
    return fd_affine(t, fd_sum_to(t, u, 1, (int[]){ 1 }), .5 * inverse->s.h, 0);
}

/* bound -- -ELBO of b functions without -|x|_C^2/2, their sum, with xi for the codes. */
static fd_var *bound(fd_tape *t, const fd_net *enc, const fd_net *dec, const fd_cov *inverse, int b,
                     fd_var *x, const fd_real *xi)
{
    const fd_space *s = &inverse->s;
    const int d = dec->arch.inr.latent;
    fd_var *y = domain_mean(t, fd_forward(enc, t, s, x, NULL));
    fd_var *mu = fd_slice(t, y, 1, 0, d), *logs = fd_slice(t, y, 1, d, d);
    fd_var *z = fd_mul(t, fd_map(t, logs, FD_EXP), fd_input(t, 2, (int[]){ b, d }, xi));
    fd_var *off = fd_sub(t, x, fd_inr(dec, t, s, b, NULL, NULL, fd_add(t, mu, z)));
    fd_var *kl = fd_map(t, fd_affine(t, logs, 2, 0), FD_EXP);
    kl = fd_add(t, fd_sub(t, kl, fd_affine(t, logs, 2, 1)), fd_map(t, mu, FD_SQUARE));
    kl = fd_affine(t, fd_sum_to(t, kl, 1, (int[]){ 1 }), .5, 0);
    return fd_add(t, half_norm(t, inverse, off), kl);
}

static double fit(void *self, int k, fd_arena a)
{
    vae *m = self;
    const fd_space *s = &m->q->s[0];
    const int b = m->w->batch, d = m->w->code;
    batch_take(m->q, (uint32_t)k, b, m->x, a);
    fd_normal(fd_stream(fd_seed(m->q->o->seed), 'v', (uint32_t)k), b * d, m->xi);
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *x = fd_input(&t, 3, (int[]){ b, 1, (int)s->points }, m->x);
    fd_var *loss = bound(&t, m->enc.net, m->dec.net, m->inverse, b, x, m->xi);
    loss = fd_affine(&t, loss, 1. / b, 0);
    fd_backward(&t, loss);
    double v = loss ? (double)loss->x[0] : NAN;
    fd_tape_end(&t);
    fd_opt_step(m->enc.opt, m->enc.net, a.st);
    fd_opt_step(m->dec.opt, m->dec.net, a.st);
    return v;
}

/* reference -- the mean evidence of n functions under a law with noise of the same kind: each kind
 * by its mean and those of its waves, as many as the code has numbers, that say most. */
static double reference(const vae *m, const fd_space *s, int n, const fd_real *x, fd_arena a)
{
    const int modes = (int)s->modes;
    const fd_cov *c[2], *e = noise(&a, m, s);
    fd_real *mean = fd_raw(&a, fd_real, 2 * modes), *u = fd_raw(&a, fd_real, n * modes);
    need(a.st);
    kinds_law(&a, s, mean, c);
    fd_to_modes(s, 2, mean, mean, a), fd_to_modes(s, n, x, u, a);
    need(a.st);
    double sum = 0, var[2][192];
    for (int i = 0; i < 2; i++) {                      /* var: lam + the rest, in d modes */
        for (int k = 0; k < modes; k++) var[i][k] = e->lam[k];
        for (int j = 0; j < m->w->code; j++) {
            int best = 0;
            for (int k = 1; k < modes; k++)
                if (e->lam[k] > 0 && var[i][k] <= e->lam[k]
                    && (var[i][best] > e->lam[best]
                        || c[i]->lam[k] / e->lam[k] > c[i]->lam[best] / e->lam[best])) best = k;
            if (c[i]->lam[best] > e->lam[best]) var[i][best] = c[i]->lam[best];
        }
    }
    for (int f = 0; f < n; f++) {
        double l[2];
        for (int i = 0; i < 2; i++) {
            l[i] = -log(2.);
            for (int k = 0; k < modes; k++) {
                double v = (double)u[f * modes + k], d = v - (double)mean[i * modes + k];
                double lam = e->lam[k], r = var[i][k] / lam;
                if (lam > 0) l[i] -= (d * d / var[i][k] - v * v / lam + log(r)) / 2;
            }
        }
        sum += fmax(l[0], l[1]) + log1p(exp(-fabs(l[0] - l[1])));
    }
    return sum / n;
}

/* elbo_line -- of functions that were not seen, on both grids. */
static void elbo_line(const vae *m, const char *name, fd_arena a)
{
    enum { MANY = 512 };
    for (int g = 0; g < m->q->grids; g++) {
        fd_arena own = a;
        const fd_space *s = &m->q->s[g];
        const int d = m->w->code;
        fd_real *x = fd_raw(&own, fd_real, MANY * s->points), *xi = fd_raw(&own, fd_real, MANY * d);
        need(a.st);
        kinds_draw(s, fd_seed(8), MANY, x, own);
        fd_normal(fd_seed(6), MANY * d, xi);
        const fd_cov *inverse = precision(&own, m, s);
        fd_tape t = fd_tape_begin(&own, FD_EVAL);
        fd_var *vx = fd_input(&t, 3, (int[]){ MANY, 1, (int)s->points }, x);
        fd_var *y = bound(&t, m->enc.avg, m->dec.avg, inverse, MANY, vx, xi);
        y = fd_sub(&t, half_norm(&t, inverse, vx), y);
        need(a.st);
        printf("%-12s on %3d points: ELBO %9.2f, evidence of two kinds of %d waves %9.2f\n",
               name, s->n[0], (double)y->x[0] / MANY, d, reference(m, s, MANY, x, own));
        fflush(stdout);
    }
}

static void vae_draw(const void *self, const trial *q, int g, int n, fd_real *x, fd_arena a)
{
    const vae *m = self;
    const fd_space *s = &q->s[g];
    const int d = m->w->code;
    fd_real *z = fd_raw(&a, fd_real, n * d), *e = fd_raw(&a, fd_real, n * s->points);
    need(a.st);
    fd_normal(fd_stream(fd_seed(q->o->seed), 'z', 0), n * d, z);
    fd_cov_draw(noise(&a, m, s), fd_stream(fd_seed(q->o->seed), 'e', 0), 0, n, e, a);
    for (int i = 0; i < n; i += 16) {
        int b = n - i < 16 ? n - i : 16;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_input(&t, 2, (int[]){ b, d }, z + i * d);
        y = fd_inr(m->dec.avg, &t, s, b, NULL, NULL, y);
        need(a.st);
        memcpy(x + i * s->points, y->x, (size_t)(b * s->points) * sizeof *x);
        fd_tape_end(&t);
    }
    for (ptrdiff_t i = 0; i < n * s->points && m->residual; i++) x[i] += e[i];
}

static void make(const trial *q, fd_arena a)
{
    const setting *w = &set[q->kind];
    const fd_space *s = &q->s[0];
    if (q->kind == KINDS) linear_table(a);
    for (int matern = 0; matern < (q->kind ? 1 : 2); matern++) {
        const char *name = matern ? "vae-matern" : "vae";
        vae m = { .q = q, .w = w, .matern = matern, .residual = 1 };
        fd_arch enc = { .kind = FD_FNO_BLOCK, .nd = s->nd, .in = 1, .out = 2 * w->code, .width = 16,
                        .layers = 3, .time = FD_TIME_NONE, .coords = FD_COORD_OPEN,
                        .grid = { s->n[0], s->n[1] },
                        .fno = { .modes = { w->modes, w->modes }, .lift = -1, .proj = 64,
                                 .residual = 1, .stencil = w->stencil } };
        fd_arch dec = { .kind = FD_SIREN, .nd = s->nd, .in = 0, .out = 1, .width = w->width,
                        .layers = w->layers, .time = FD_TIME_NONE,
                        .inr = { .omega = w->omega, .mod = FD_MOD_SHIFT, .latent = w->code } };
        fd_adam adam = fd_adam_default(FD_ADAMW);
        adam.lr = 2e-3, adam.warmup = 50, adam.steps = w->steps, adam.clip = 100, adam.ema = .99;
        m.enc = learner_new(&a, q, name, "-encoder", &enc, &adam);
        m.dec = learner_new(&a, q, name, "-decoder", &dec, &adam);
        m.x = fd_raw(&a, fd_real, w->batch * s->points);
        m.xi = fd_raw(&a, fd_real, w->batch * w->code);
        m.inverse = precision(&a, &m, s);
        need(a.st);
        learn(q, name, 2, (learner *[]){ &m.dec, &m.enc }, w->steps, fit, &m, a);
        if (!q->kind) elbo_line(&m, name, a);
        rival_draw(q, name, vae_draw, &m, a);
        m.residual = 0;
        if (!matern) rival_draw(q, "vae-mean", vae_draw, &m, a);
    }
}

int main(int argc, char **argv) { return rivals_main("vae", argc, argv, make); }
