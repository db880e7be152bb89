/* latent.c -- functions by way of a few numbers: a coordinate network gives each function a code,
 * and a finite-dimensional diffusion draws codes [functa; Survey sec. 1].
 *
 *     latent [--data IMAGES --labels LABELS]          rows of the table of rivals.h
 *
 * The field is a SIREN whose layers are shifted by numbers linear in the code. The code of a
 * function is what three steps of gradient descent from 0 find, and the field, the linear map and a
 * rate for each number of the code are learned through these steps (fd_forward of FD_SIREN with an
 * inner loop, second order). Codes are made white by their covariance; a transformer whose one
 * patch is the whole code, a residual perceptron, learns their diffusion, as `fd train` does it: in
 * finite dimensions white noise has a law. What is drawn can be asked for at any place.
 *
 * Beside it: an operator that diffuses the functions themselves (fd train with its own settings),
 * codes that are drawn from the Gaussian of their mean and covariance, and functions that were not
 * seen, coded and decoded, which no law of codes can do better than. For `kinds` the error of that
 * is printed beside the least that as many numbers allow linear codes (principal components). */
#include "rivals.h"

typedef struct {
    const char *field;                     /* the row's settings */
    int code, batch, steps, width, layers;
    double omega;
    const char *codes, *operator;          /* flags of fd train */
} setting;
static const setting set[TRIALS] = {
    { "latent", 16, 64, 1500, 48, 3, 10,
      "--net vit:patch=16,width=96 --cov pixel-white --precond none --predict v --steps 2000"
      " --batch 64 --lr 1e-3",
      "--net fno --cov matern:nu=1.5,l=0.1 --steps 3000 --lr 2e-3" },
    { "latent", 64, 16, 600, 64, 3, 15,
      "--net vit:patch=64,width=128 --cov pixel-white --precond none --predict v --steps 2000"
      " --batch 64 --lr 1e-3",
      "--net fno:width=16,stencil=3 --steps 2000 --batch 16" } };

typedef struct { const trial *q; const setting *w; learner l; fd_real *x; } fitting;

static double fit(void *self, int k, fd_arena a)
{
    fitting *f = self;
    const fd_space *s = &f->q->s[0];
    const int b = f->w->batch;
    batch_take(f->q, (uint32_t)k, b, f->x, a);
    fd_tape t = fd_tape_begin(&a, FD_GRAD2);
    fd_var *x = fd_input(&t, 3, (int[]){ b, 1, (int)s->points }, f->x);
    fd_var *loss = fd_mse_loss(&t, s, fd_forward(f->l.net, &t, s, x, NULL), f->x, NULL);
    fd_backward(&t, loss);
    double v = loss ? (double)loss->x[0] : NAN;
    fd_tape_end(&t);
    fd_opt_step(f->l.opt, f->l.net, a.st);
    return v;
}

/* ---- Codes ----------------------------------------------------------------------------------- */

/* A law of codes: z = mean + root y, y white. */
typedef struct {
    const fd_net *net;
    int code;
    const kit *k;                          /* how y is drawn; NULL: N(0, 1) */
    fd_real *mean, *root, *back;           /* root [code][code]: y = back (z - mean) */
    const fd_real *fixed;                  /* or these codes */
} codes;

/* whiten -- the mean of n codes and a root of their covariance; z becomes y. */
static void whiten(fd_arena *a, codes *c, int n, fd_real *z)
{
    const int d = c->code;
    double *cov = fd_new(a, double, d * d), *w = fd_raw(a, double, d);
    double *V = fd_raw(a, double, d * d);
    double *mean = fd_new(a, double, d);
    c->mean = fd_raw(a, fd_real, d), c->root = fd_raw(a, fd_real, d * d);
    c->back = fd_raw(a, fd_real, d * d);
    need(a->st);
    for (int i = 0; i < n * d; i++) mean[i % d] += (double)z[i] / n;
    for (int i = 0; i < n; i++)
        for (int p = 0; p < d * d; p++)
            cov[p] += ((double)z[i * d + p / d] - mean[p / d])
                      * ((double)z[i * d + p % d] - mean[p % d]) / n;
    fd_eigen(a->st, d, cov, w, V, *a);
    need(a->st);
    for (int p = 0; p < d * d; p++) {                  /* row j of V is eigenvector j */
        double e = sqrt(fmax(w[p / d], 1e-6 * w[0]));
        c->root[p % d * d + p / d] = (fd_real)(V[p] * e);
        c->back[p] = (fd_real)(V[p] / e);
    }
    for (int j = 0; j < d; j++) c->mean[j] = (fd_real)mean[j];
    for (int i = 0; i < n; i++) {
        double y[256];
        for (int j = 0; j < d; j++) y[j] = 0;
        for (int p = 0; p < d * d; p++)
            y[p / d] += (double)c->back[p] * ((double)z[i * d + p % d] - mean[p % d]);
        for (int j = 0; j < d; j++) z[i * d + j] = (fd_real)y[j];
    }
}

/* codes_draw -- n codes of the law, and the field on grid g. */
static void codes_draw(const void *self, const trial *q, int g, int n, fd_real *x, fd_arena a)
{
    enum { AT_ONCE = 32 };
    const codes *c = self;
    const int d = c->code;
    fd_real *z = fd_raw(&a, fd_real, n * d), *y = fd_raw(&a, fd_real, n * d);
    need(a.st);
    if (c->fixed) memcpy(z, c->fixed, (size_t)(n * d) * sizeof *z);
    else {
        args o = flags_read(&a, SAMPLE, "--steps 50 --batch 256", NULL);
        if (c->k) sample(c->k, &o, n, y, 0, 0, NULL, a);
        else fd_normal(fd_stream(fd_seed(q->o->seed), 'z', 0), n * d, y);
        for (int i = 0; i < n * d; i++) z[i] = c->mean[i % d];
        fd_gemm(0, 1, n, d, d, 1, y, d, c->root, d, 1, z, d, a);
    }
    for (int i = 0; i < n; i += AT_ONCE) {
        int b = n - i < AT_ONCE ? n - i : AT_ONCE;
        fd_tape t = fd_tape_begin(&a, FD_EVAL);
        fd_var *m = fd_input(&t, 2, (int[]){ b, d }, z + i * d);
        fd_var *u = fd_inr(c->net, &t, &q->s[g], b, NULL, NULL, m);
        need(a.st);
        memcpy(x + i * q->s[g].points, u->x, (size_t)(b * q->s[g].points) * sizeof *x);
        fd_tape_end(&t);
    }
}

/* recoded -- how far functions that were not seen are from what their codes give, relative, and the
 * least that so many principal components of the data leave. */
static void recoded(const trial *q, const codes *c, fd_arena a)
{
    const int n = 1024, m = 2048;
    const ptrdiff_t size = q->s[0].points;
    fd_real *x = fd_raw(&a, fd_real, n * size);
    double off = 0, all = 0, left = 0;
    need(a.st);
    codes_draw(c, q, 0, n, x, a);
    fd_real *some = data_gather(&a, &q->d, 0, m), *mean = fd_raw(&a, fd_real, size);
    fd_cov *pca = fd_cov_pca(&a, &q->s[0], m, some, c->code, mean);
    fd_real *u = fd_raw(&a, fd_real, n * size), *y = fd_raw(&a, fd_real, n * size);
    need(a.st);
    for (ptrdiff_t i = 0; i < n * size; i++) y[i] = q->held[i] - mean[i % size];
    fd_to_modes(&pca->s, n, y, u, a), fd_from_modes(&pca->s, n, u, u, a);
    for (ptrdiff_t i = 0; i < n * size; i++) {
        double e = (double)x[i] - (double)q->held[i], p = (double)y[i] - (double)u[i];
        off += e * e, left += p * p, all += (double)y[i] * (double)y[i];
    }
    printf("%s: %d numbers leave %.4f of a function that was not seen, principal components %.4f\n",
           trial_name[q->kind], c->code, sqrt(off / all), sqrt(left / all));
}

static void make(const trial *q, fd_arena a)
{
    const setting *w = &set[q->kind];
    const fd_space *s = &q->s[0];
    rival_draw(q, "operator", kit_draw, rival_trained(&a, q, "operator", w->operator, &q->d), a);
    fd_arch arch = { .kind = FD_SIREN, .nd = s->nd, .in = 1, .out = 1, .width = w->width,
                     .layers = w->layers, .time = FD_TIME_NONE,
                     .inr = { .omega = w->omega, .mod = FD_MOD_SHIFT, .latent = w->code, .inner = 3,
                              .rates = 1, .blind = 1 } };
    fd_adam adam = fd_adam_default(FD_ADAMW);
    adam.lr = 2e-3, adam.warmup = 50, adam.steps = w->steps, adam.clip = 1, adam.ema = .99;
    fitting f = { q, w, learner_new(&a, q, "latent", "-field", &arch, &adam),
                  fd_raw(&a, fd_real, w->batch * s->points) };
    need(a.st);
    learn(q, "latent", 1, (learner *[]){ &f.l }, w->steps, fit, &f, a);

    codes c = { f.l.avg, w->code, NULL, NULL, NULL, NULL, NULL };
    double begin = cpu();
    const char *path = trial_path(q, "latent", "-codes.npy");
    const int n = q->d.m < 8192 ? q->d.m : 8192;
    fd_space line = fd_grid(&a, 1, &w->code, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_real *z = samples_kept(&a, path, &line, n, NULL),
        *held = fd_raw(&a, fd_real, 1024 * w->code);
    need(a.st);
    if (!z) {
        const fd_real *x = data_gather(&a, &q->d, 0, n);
        z = fd_raw(&a, fd_real, n * w->code);
        need(a.st);
        adapt(c.net, s, NULL, n, x, z, a);
        functions_save(a, path, &line, AXES_NONE, n, z);
        spent(q, "latent", "-train.s", cpu() - begin);
    }
    adapt(c.net, s, NULL, 1024, q->held, held, a);
    whiten(&a, &c, n, z);
    dataset d = data_array("codes", &line, n, z);
    data_measure(&a, &d, NORMALIZE_NONE, NULL);
    c.k = rival_trained(&a, q, "latent", w->codes, &d);
    rival_draw(q, "latent", codes_draw, &c, a);
    c.k = NULL;
    rival_draw(q, "codes", codes_draw, &c, a);
    c.fixed = held;
    rival_draw(q, "recoded", codes_draw, &c, a);
    recoded(q, &c, a);
}

int main(int argc, char **argv) { return rivals_main("latent", argc, argv, make); }
