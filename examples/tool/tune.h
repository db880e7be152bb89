/* tune.h -- a trained model made to draw functions of high reward: what fd tune does, for fd.c.
 *
 *     reward    a number for each function, by name or from observations; only called, never
 *               differentiated
 *     paths     of the sampler with the model as it is, and how likely they are under the first one
 *     updates   by policy gradient (REINFORCE, DDPO) or reward-weighted regression
 *
 * With F the network and F_0 with its first weights, D = D_0 + (C/lam_max)^1/2 cF (F - F_0), cF =
 * dD/dF (fd_policy_model). A step x' = mu + sd C^1/2 z with mu = .. + aD D then has
 *     mu - mu_0 = sd q C^1/2 u,    u = F - F_0,    q = aD cF/(sd sqrt(lam_max))
 * and log p/p_0, the gradient of log p in F and the KL of a step are q <u, z> - .., q z and
 * q^2 |u|^2/2 in L2: nothing is divided by C. */
#ifndef TUNE_H
#define TUNE_H
#include "posterior.h"

/* ---- Rewards --------------------------------------------------------------------------------- */

typedef struct { spec what; const kit *k; problem seen; } prize;

static inline prize prize_new(fd_arena *a, const args *o, const kit *k)
{
    prize w = { .k = k, .seen = { .k = k, .s = k->s } };
    if (read_ends(o->reward, ".csv")) {
        obs_csv(a, &w.seen, o->reward, o->noise);
        if (!(w.seen.o.sd > 0 || w.seen.o.each))
            die(2, "--reward: %s: values need --noise above 0, or a column sd", o->reward);
        return w;
    }
    w.what = spec_read(&t_reward, "--reward", o->reward);
    const double *v = w.what.v;
    if (w.what.row == REWARD_SYMMETRY && v[0] >= k->s.nd)
        die(2, "--reward: axis %g: the model has %d", v[0], k->s.nd);
    if (w.what.row == REWARD_POINT) {
        double *at = fd_raw(a, double, k->s.nd), *sd = fd_raw(a, double, 1);
        int *ch = fd_new(a, int, 1);
        w.seen.y = fd_raw(a, double, 1);
        need(a->st);
        for (int i = 0; i < k->s.nd; i++)
            if (!((at[i] = v[i]) <= k->s.len[i]))
                die(2, "--reward: %c = %g is outside the domain, 0 to %g", "xyz"[i], v[i],
                    k->s.len[i]);
        w.seen.y[0] = v[3], sd[0] = v[4];
        w.seen.o = fd_obs_points(a, &k->s, 1, at, ch);
        obs_given(a, &w.seen, ch, sd, 0);
    }
    return w;
}

/* prize_of -- of one function, as the model has it. */
static inline double prize_of(const prize *w, const fd_real *x, fd_arena a)
{
    const fd_space *s = &w->k->s;
    const ptrdiff_t n = fd_size(s);
    double sum = 0;
    if (!w->what.t || w->what.row == REWARD_POINT)
        return -fd_obs_misfit(&w->seen.o, w->seen.y, x, NULL, a);
    fd_real *y = fd_raw(&a, fd_real, n);
    if (!y) return NAN;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = x[i] + (w->k->norm.center ? w->k->norm.center[i] : 0);
    if (w->what.row == REWARD_BRIGHTNESS) {
        for (ptrdiff_t i = 0; i < n; i++) sum += (double)y[i];
        return w->what.v[0] * sum / (double)n;
    }
    fd_real *z = fd_raw(&a, fd_real, n);
    if (!z) return NAN;
    memcpy(z, y, (size_t)n * sizeof *z);
    mirror(s, w->what.v[0] < 0 ? s->nd - 1 : (int)w->what.v[0], z);
    for (ptrdiff_t i = 0; i < n; i++) sum += pow((double)y[i] - (double)z[i], 2);
    return -w->what.v[1] * sum / (double)n;
}

/* prizes -- of b functions; mean and its standard error. */
static inline void prizes(const prize *w, int b, const fd_real *x, const char *when, double *r,
                          double *mean, double *error, fd_arena a)
{
    double sq = 0;
    *mean = 0;
    for (int i = 0; i < b; i++) {
        r[i] = prize_of(w, x + i * fd_size(&w->k->s), a);
        need(a.st);
        if (!isfinite(r[i]))
            die(1, "--reward: of function %d %s it is not finite: %g", i, when, r[i]);
        *mean += r[i] / b;
    }
    for (int i = 0; i < b; i++) sq += (r[i] - *mean) * (r[i] - *mean);
    *error = b > 1 ? sqrt(sq / (b - 1) / b) : 0;
}

/* aim -- mean and its error of the law e^(beta r) p, by weights of draws of p; how many count. */
static inline double aim(int n, const double *r, double beta, double *mean, double *error,
                         fd_arena a)
{
    double *w = fd_raw(&a, double, n), sq = 0, ess = 0;
    need(a.st);
    fd_reward_weights(n, r, beta, w, a.st);
    *mean = 0;
    for (int i = 0; i < n; i++) *mean += w[i] * r[i], ess += w[i] * w[i];
    for (int i = 0; i < n; i++) sq += pow(w[i] * (r[i] - *mean), 2);
    *error = sqrt(sq);
    return 1 / ess;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

typedef struct {
    kit *k;
    fd_model first, raw;                   /* D_0, predicts FD_X0; F as it is */
    int b, steps, left;                    /* functions; steps with noise; 1: one without follows */
    const double *t;
    double *q, *sd, *cF;                   /* [steps] */
    fd_row *row;
    fd_cov *white;                         /* 1 in the modes that carry noise */
    fd_real *x, *z, *u, *y0;               /* [steps][b][size]: states, noise, F - F_0, F_0 */
    fd_real *end;                          /* [b][size]: D_0 of the last state */
    double *r, *kl, *base;                 /* [b]; [steps][b]: KL of a step; reward of D_0 there */
} tuning;

/* seen_by -- in, what F sees at the time t of b functions, and F_0, of D_0. */
static inline void seen_by(const tuning *q, int b, const fd_real *x, const double *t,
                           const fd_real *d0, fd_real *in, fd_real *y0, fd_arena a)
{
    const kit *k = q->k;
    const size_t bytes = (size_t)(b * fd_size(&k->s)) * sizeof *x;
    if (k->pre) { fd_precond_pair(k->pre, b, d0, x, t, in, y0, a); return; }
    memcpy(in, x, bytes);
    memcpy(y0, d0, bytes);
    fd_convert(&k->learned, FD_X0, k->predict.row, b, x, t, y0, a);
}

/* slope_of -- cF = dD/dF at t. */
static inline double slope_of(const kit *k, double t, fd_arena a)
{
    double cin, cout;
    const ptrdiff_t n = fd_size(&k->s);
    if (k->pre) { fd_precond_scale(k->pre, t, &cin, &cout); return cout; }
    fd_real *x = fd_new(&a, fd_real, n), *y = fd_raw(&a, fd_real, n);
    need(a.st);
    for (ptrdiff_t i = 0; i < n; i++) y[i] = 1;
    fd_convert(&k->learned, k->predict.row, FD_X0, 1, x, &t, y, a);
    need(a.st);
    return (double)y[0];
}

/* part -- u = P (F - F_0) in place of F, P: the modes that carry noise. */
static inline void part(const tuning *q, int b, const fd_real *y0, fd_real *u, fd_arena a)
{
    for (ptrdiff_t i = 0; i < b * fd_size(&q->k->s); i++) u[i] -= y0[i];
    fd_cov_pow(q->k->noise, 0, b, u, u, a);
}

/* through -- v = (C/lam_max)^1/2 u; v may be u. */
static inline void through(const tuning *q, double most, int b, const fd_real *u, fd_real *v,
                           fd_arena a)
{
    fd_cov_pow(q->k->noise, .5, b, u, v, a);
    for (ptrdiff_t i = 0; i < b * fd_size(&q->k->s); i++) v[i] /= (fd_real)sqrt(most);
}

static inline double largest(const fd_cov *c)
{
    double most = 0;
    for (ptrdiff_t i = 0; i < c->s.modes; i++) most = fmax(most, c->lam[i]);
    return most;
}

static inline tuning tuning_new(fd_arena *a, kit *k, const args *o)
{
    tuning q = { .k = k, .b = o->batch };
    const args is = settle(o, k);
    const ptrdiff_t n = o->batch * fd_size(&k->s);
    double *t = fd_raw(a, double, o->steps + 1);
    const double most = largest(k->noise);
    fd_real *x;
    need(a->st);
    times_set(k, &is, t, a->st);
    need(a->st);
    q.t = t;
    q.q = fd_raw(a, double, 3 * o->steps), q.sd = q.q + o->steps, q.cF = q.sd + o->steps;
    q.row = fd_raw(a, fd_row, o->steps);
    q.r = fd_raw(a, double, o->batch), q.kl = fd_raw(a, double, 2 * (ptrdiff_t)o->steps * o->batch);
    q.base = q.kl + (ptrdiff_t)o->steps * o->batch;
    x = fd_raw(a, fd_real, (4 * (ptrdiff_t)o->steps + 1) * n);
    q.x = x, q.z = x + o->steps * n, q.u = q.z + o->steps * n, q.y0 = q.u + o->steps * n;
    q.end = q.y0 + o->steps * n;
    need(a->st);
    double *one = fd_raw(a, double, k->s.modes);
    for (ptrdiff_t i = 0; one && i < k->s.modes; i++) one[i] = k->noise->lam[i] > 0;
    q.white = one ? fd_cov_table(a, &k->s, one) : NULL;
    need(a->st);
    if (is.scheme.row >= FD_ONE_STAGE || is.scheme.row == FD_ANCESTRAL_OPTIMAL)
        die(2, "--scheme: %s: one of one evaluation a step is wanted",
            t_scheme.rows[is.scheme.row].name);
    for (int i = 0; i < o->steps; i++) {
        q.row[i] = fd_step_row(&k->p, is.scheme.row, is.eta, t[i], t[i + 1], 0, a->st);
        need(a->st);
        q.sd[i] = q.row[i].sd, q.cF[i] = slope_of(k, t[i], *a);
        if (!(q.sd[i] > 0)) {
            if (i + 1 < o->steps || !i)
                die(2, "--scheme: %s%s has no noise at step %d, so its paths have no density",
                    fd_scheme_name(is.scheme.row), is.eta > 0 ? "" : " without --eta", i + 1);
            break;                                     /* the last: D_0 takes its place */
        }
        q.q[i] = q.row[i].aD * q.cF[i] / (q.sd[i] * sqrt(most));
        q.steps++;
    }
    return q;
}

static inline int step_at(const tuning *q, double t)
{
    int j = 0;
    while (q->t[j] != t) j++;
    return j;
}

/* draw_paths -- and sum[2]: KL of the whole path, |D - D_0|_C of a step, means. */
static inline void draw_paths(tuning *q, const prize *w, const args *o, const args *is, int round,
                              double sum[2], fd_arena a)
{
    const kit *k = q->k;
    const ptrdiff_t size = fd_size(&k->s), n = q->b * size;
    const double most = largest(k->noise);
    const fd_rng seed = fd_stream(fd_seed(o->seed), 'T', (uint32_t)round);
    fd_sampler how = sampler_of(is, &k->p, k->model, q->t);
    how.mean = k->mean, how.cov = k->c0;
    fd_run *run = fd_begin(&a, &how, seed, 0, q->b);
    fd_real *d0 = fd_raw(&a, fd_real, 3 * n), *in = d0 + n, *v = d0 + 2 * n;
    double *t = fd_raw(&a, double, q->b);
    need(a.st);
    fd_real *x = run->x;
    sum[0] = sum[1] = 0;
    for (int j = 0; j <= q->steps; j++) {
        const ptrdiff_t at = j * n;
        for (int i = 0; i < q->b; i++) t[i] = q->t[j];
        if (j == q->steps && !(fd_law(&k->p, q->t[j], 0).v > 0)) {
            memcpy(q->end, x, (size_t)n * sizeof *x);
            break;
        }
        fd_predict(&q->first, FD_X0, &k->p, q->b, x, t, d0, a);
        need_grid(a.st);
        if (j == q->steps) { memcpy(q->end, d0, (size_t)n * sizeof *d0); break; }
        seen_by(q, q->b, x, t, d0, in, q->y0 + at, a);
        q->raw.eval(q->raw.self, &k->s, q->b, in, t, q->u + at, a);
        part(q, q->b, q->y0 + at, q->u + at, a);
        through(q, most, q->b, q->u + at, v, a);
        memcpy(q->x + at, x, (size_t)n * sizeof *x);
        fd_cov_draw(q->white, fd_stream(seed, 's', (uint32_t)j + 1), 0, q->b, q->z + at, a);
        fd_cov_pow(k->noise, .5, q->b, q->z + at, in, a);
        need_grid(a.st);
        for (int i = 0; i < q->b; i++) {
            const double len = fd_inner(&k->s, q->u + at + i * size, q->u + at + i * size);
            q->kl[j * q->b + i] = .5 * q->q[j] * q->q[j] * len;
            q->base[j * q->b + i] = prize_of(w, d0 + i * size, a);
            sum[0] += q->kl[j * q->b + i] / q->b;
            sum[1] += fabs(q->cF[j]) * sqrt(len / most) / q->b / q->steps;
        }
        for (ptrdiff_t i = 0; i < n; i++)
            x[i] = (fd_real)(q->row[j].ax * (double)x[i] + q->sd[j] * (double)in[i]
                             + q->row[j].aD * ((double)d0[i] + q->cF[j] * (double)v[i]));
    }
    need_grid(a.st);
    for (ptrdiff_t i = 0; i < n; i++)
        if (!isfinite((double)q->end[i])) die(1, "round %d: a sample is not finite", round);
}

/* draw_first -- samples of the first model, as fd sample draws them; sum: the KL of its paths to
 * those of the model as it is, by one step of each. */
static inline void draw_first(tuning *q, const kit *before, const args *as, int round,
                              double sum[2], fd_arena a)
{
    const kit *k = q->k;
    const ptrdiff_t size = fd_size(&k->s), n = q->b * size;
    const fd_rng seed = fd_stream(fd_seed(as->seed), 'F', (uint32_t)round);
    const double most = largest(k->noise);
    args mine = *as;
    fd_real *xt = fd_raw(&a, fd_real, 5 * n), *d0 = xt + n, *in = xt + 2 * n, *y0 = xt + 3 * n;
    fd_real *u = xt + 4 * n;
    double *t = fd_raw(&a, double, q->b);
    need(a.st);
    mine.first = as->first + as->n + (round - 1) * q->b;
    sample(before, &mine, q->b, q->end, 0, 0, NULL, a);
    for (int i = 0; i < q->b; i++)
        t[i] = q->t[fd_index(fd_stream(seed, 'k', 0), (uint64_t)i, q->steps)];
    fd_perturb(&k->p, seed, 0, q->b, q->end, t, xt, NULL, a);
    fd_predict(&q->first, FD_X0, &k->p, q->b, xt, t, d0, a);
    seen_by(q, q->b, xt, t, d0, in, y0, a);
    q->raw.eval(q->raw.self, &k->s, q->b, in, t, u, a);
    part(q, q->b, y0, u, a);
    need(a.st);
    sum[0] = sum[1] = 0;
    for (int i = 0; i < q->b; i++) {
        const int j = step_at(q, t[i]);
        const double len = fd_inner(&k->s, u + i * size, u + i * size);
        sum[0] += .5 * q->q[j] * q->q[j] * len * q->steps / q->b;
        sum[1] += fabs(q->cF[j]) * sqrt(len / most) / q->b;
    }
}

/* ---- Updates --------------------------------------------------------------------------------- */

/* What is to grow: adv times log p of a step of the path, less the KL; or a regression's fit. */
typedef struct {
    const tuning *q;
    int step;                              /* of the path; -1: regression */
    const double *adv;                     /* [b]: advantages; weights of the regression */
    double kl, clip, most;                 /* weight of the KL; largest lam */
    int rule;                              /* FD_POLICY_.. */
    const fd_real *y0, *want;              /* F_0; regression: (x0 - D_0)/cF */
} push;

/* push_slope -- g, its slope in F of each function. */
static inline void push_slope(push *p, const fd_real *F, fd_real *g, fd_arena a)
{
    const tuning *q = p->q;
    const ptrdiff_t size = fd_size(&q->k->s), n = q->b * size;
    fd_real *u = fd_raw(&a, fd_real, n);
    if (!u) return;
    memcpy(u, F, (size_t)n * sizeof *u);
    part(q, q->b, p->y0, u, a);
    if (p->step < 0) {                                 /* w P (want - P u) */
        through(q, p->most, q->b, u, u, a);
        for (ptrdiff_t i = 0; i < n; i++) u[i] = p->want[i] - u[i];
        through(q, p->most, q->b, u, g, a);
        for (ptrdiff_t i = 0; i < n; i++) g[i] *= (fd_real)p->adv[i / size];
        return;
    }
    const double c = q->q[p->step];
    const fd_real *z = q->z + p->step * n, *was = q->u + p->step * n;
    for (int i = 0; i < q->b; i++) {
        for (ptrdiff_t l = i * size; l < (i + 1) * size; l++) g[l] = u[l] - was[l];
        double inner = fd_inner(&q->k->s, g + i * size, z + i * size);
        double len = fd_inner(&q->k->s, g + i * size, g + i * size);
        double ratio = c * inner - .5 * c * c * len;
        double w = fd_policy_weight(p->rule, ratio, p->adv[i], p->clip);
        for (ptrdiff_t l = i * size; l < (i + 1) * size; l++)
            g[l] = (fd_real)(w * c * ((double)z[l] - c * (double)g[l])
                             - p->kl * c * c * (double)u[l]);
    }
}

/* ascend -- the gradient of its mean is added to k->net->g, its sign turned, for fd_opt_step. */
static inline void ascend(push *p, const fd_real *in, const double *t, fd_arena a)
{
    const kit *k = p->q->k;
    const fd_arch *arch = &k->net->arch;
    const ptrdiff_t n = p->q->b * fd_size(&k->s);
    fd_real *g = fd_raw(&a, fd_real, n);
    need(a.st);
    fd_tape tape = fd_tape_begin(&a, arch->inr.inner && !arch->inr.first ? FD_GRAD2 : FD_GRAD);
    const int shape3[3] = { p->q->b, arch->in, (int)k->s.points };
    fd_var *F = fd_forward(k->net, &tape, &k->s, fd_input(&tape, 3, shape3, in), t);
    if (F) push_slope(p, F->x, g, a);
    for (ptrdiff_t i = 0; i < n && F; i++) g[i] = (fd_real)((double)F->x[i] + .5 * (double)g[i]);
    fd_backward(&tape, fd_mse_loss(&tape, &k->s, F, g, NULL));         /* slope 2 (F - target) */
    fd_tape_end(&tape);
    need(a.st);
}

/* climb -- policy gradients: the advantage of step j is the reward less the KL of later steps, less
 * what the reward of D_0 there foretells (by regression), over the deviation of the reward. */
static inline void climb(tuning *q, const args *o, int epochs, fd_arena a)
{
    enum { MOST = 5 };                                 /* [DDPO] */
    const kit *k = q->k;
    const ptrdiff_t n = q->b * fd_size(&k->s);
    const int b = q->b;
    double *adv = fd_raw(&a, double, q->steps * b), *back = fd_raw(&a, double, b);
    double *t = fd_raw(&a, double, b), mean = 0, var = 0;
    fd_real *in = fd_raw(&a, fd_real, 2 * n), *none = in + n;
    need(a.st);
    for (int i = 0; i < b; i++) mean += q->r[i] / b, back[i] = q->r[i];
    for (int i = 0; i < b; i++) var += (q->r[i] - mean) * (q->r[i] - mean) / b;
    const double sd = sqrt(var) + 1e-8, price = o->beta > 0 ? 1 / o->beta : 0, kl = price / sd;
    for (int j = q->steps - 1; j >= 0; j--) {
        double mb = 0, mr = 0, cov = 0, sq = 0;
        const double *base = q->base + j * b;
        for (int i = 0; i < b; i++) mb += base[i] / b, mr += back[i] / b;
        for (int i = 0; i < b; i++) {
            cov += (base[i] - mb) * (back[i] - mr);
            sq += (base[i] - mb) * (base[i] - mb);
        }
        for (int i = 0; i < b; i++) {
            double v = back[i] - mr - (sq > 0 ? cov / sq * (base[i] - mb) : 0);
            adv[j * b + i] = fmax(-MOST, fmin(MOST, v * b / (b - 1.) / sd));
            back[i] -= price * q->kl[j * b + i];
        }
    }
    for (int e = 0; e < epochs; e++) {
        for (int j = 0; j < q->steps; j++) {
            push p = { .q = q, .step = j, .adv = adv + j * b, .kl = kl, .clip = o->ratio,
                       .rule = e || epochs > 1 ? FD_POLICY_CLIPPED : FD_POLICY_PLAIN,
                       .y0 = q->y0 + j * n };
            for (int i = 0; i < b; i++) t[i] = q->t[j];
            if (k->pre) fd_precond_pair(k->pre, b, q->x + j * n, q->x + j * n, t, in, none, a);
            else memcpy(in, q->x + j * n, (size_t)n * sizeof *in);
            ascend(&p, in, t, a);
        }
        fd_opt_step(k->opt, k->net, a.st);
        need(a.st);
    }
}

/* regress -- the denoising loss of draws of the first model with the weights e^(beta r) over their
 * mean, at the times of the sampler. As published draws are those of the model as it is: then round
 * n aims at n beta, and the law collapses. */
static inline void regress(tuning *q, const args *o, int round, int epochs, fd_arena a)
{
    const kit *k = q->k;
    const ptrdiff_t size = fd_size(&k->s), n = q->b * size;
    double *w = fd_raw(&a, double, q->b), *t = fd_raw(&a, double, q->b);
    fd_real *xt = fd_raw(&a, fd_real, 5 * n), *d0 = xt + n, *in = xt + 2 * n, *y0 = xt + 3 * n;
    fd_real *want = xt + 4 * n;
    need(a.st);
    fd_reward_weights(q->b, q->r, o->beta, w, a.st);
    for (int i = 0; i < q->b; i++) w[i] *= q->b;
    for (int e = 0; e < epochs; e++) {
        fd_rng seed = fd_stream(fd_seed(o->seed), 'R', (uint32_t)round);
        push p = { .q = q, .step = -1, .adv = w, .y0 = y0, .want = want,
                   .most = largest(k->noise) };
        seed = fd_stream(seed, 'e', (uint32_t)e);
        for (int i = 0; i < q->b; i++)
            t[i] = q->t[fd_index(fd_stream(seed, 'k', 0), (uint64_t)i, q->steps)];
        fd_perturb(&k->p, seed, 0, q->b, q->end, t, xt, NULL, a);
        fd_predict(&q->first, FD_X0, &k->p, q->b, xt, t, d0, a);
        seen_by(q, q->b, xt, t, d0, in, y0, a);
        need(a.st);
        for (ptrdiff_t i = 0; i < n; i++) {
            const double c = q->cF[step_at(q, t[i / size])];
            want[i] = (fd_real)(((double)q->end[i] - (double)d0[i]) / c);
        }
        ascend(&p, in, t, a);
        fd_opt_step(k->opt, k->net, a.st);
        need(a.st);
    }
}

/* start_say -- a line where the start, which no policy changes, tells much of the sample: for
 * Gaussian data m^2 c/(m^2 c + v lam) of the variance c of a mode. */
static inline void start_say(const kit *k, double t)
{
    double kept = 0, all = 0;
    for (ptrdiff_t i = 0; i < k->s.modes; i++) {
        fd_coef f = fd_law(&k->p, t, i);
        const double c = k->c0->lam[i], seen = f.m * f.m * c;
        if (!(c > 0) || !(k->noise->lam[i] > 0)) continue;
        kept += c * seen / (seen + f.v * k->noise->lam[i]);
        all += c;
    }
    if (kept > .01 * all)
        printf("%.2g of the variance is in the start, which stays: that part of the aim is out of "
               "reach; a longer process leaves less\n", kept / all);
}

/* ---- fd tune --------------------------------------------------------------------------------- */

enum { ROUND_COLS = 6 };
static const char *const round_name[ROUND_COLS] = { "round", "reward", "error", "kl", "cm",
                                                    "seconds" };

/* tune_model -- the model of --model with the weights that it draws with, and in `from` those that
 * it had at first; was: how it was trained. */
static inline kit *tune_model(fd_arena *a, const args *o, args *was)
{
    if (!o->model) die(2, "tune: needs --model FILE");
    if (!o->reward) die(2, "tune: needs --reward (fd help reward)");
    if (is_given("clip") && o->policy.row != TUNE_DDPO) die(2, "--clip: is of --method ddpo");
    if (is_given("noise") && !read_ends(o->reward, ".csv"))
        die(2, "--noise: is of a --reward file.csv");
    kit *k = kit_load(a, o->model, was);
    if (k->between.t) condition_none(k, o->model);
    if (k->condition.t)
        die(2, "--model: %s is told of observations: those are its reward", o->model);
    if (k->p.modal)
        die(2, "--model: %s: %s has rates of its own in each mode: no steps with the noise C",
            o->model, k->process.t->rows[k->process.row].name);
    if (k->precond.row && k->predict.row > FD_VELOCITY)
        die(2, "--model: %s predicts %s, which no policy of functions does", o->model,
            k->predict.t->rows[k->predict.row].name);
    if (o->policy.row == TUNE_RWR && !(o->beta > 0)) die(2, "--beta: rwr needs one above 0");
    if (k->opt) memcpy(k->net->w, k->opt->avg, (size_t)k->net->count * sizeof *k->net->w);
    if (!k->from) {
        k->from = fd_raw(a, fd_real, k->net->count);
        need(a->st);
        memcpy(k->from, k->net->w, (size_t)k->net->count * sizeof *k->from);
    }
    return k;
}

/* tune_optimiser -- a new one for k; returns the updates of a round. */
static inline int tune_optimiser(fd_arena *a, const args *o, kit *k)
{
    fd_adam adam = fd_adam_default(FD_ADAMW);
    int epochs = o->epochs ? o->epochs : o->policy.row == TUNE_REINFORCE ? 1 : 4;
    if (o->policy.row == TUNE_REINFORCE && epochs > 1)
        die(2, "--epochs: reinforce takes one: its gradient is that of the policy that drew");
    adam.lr = o->lr, adam.clip = 1, adam.ema = .9, adam.warmup = 5, adam.steps = o->rounds * epochs;
    k->opt = fd_opt_new(a, k->net, &adam);
    kit_close(a, k, &k->s);
    need(a->st);
    return epochs;
}

/* tune_round -- draws, rewards and learns from the functions of a round; line: of the table. */
static inline void tune_round(tuning *q, const prize *w, const args *o, const args *is,
                              const kit *before, const args *as, int round, int epochs,
                              double begin, double line[ROUND_COLS], fd_arena a)
{
    double sum[2], m, e;
    char when[32];
    sprintf(when, "in round %d", round);
    if (o->policy.row == TUNE_RWR) draw_first(q, before, as, round, sum, a);
    else draw_paths(q, w, o, is, round, sum, a);
    prizes(w, q->b, q->end, when, q->r, &m, &e, a);
    printf("round %3d  reward %.4g +- %.2g  KL %.3g  |D - D_0|_C %.3g\n", round, m, e, sum[0],
           sum[1]);
    fflush(stdout);
    memcpy(line, (double[]){ round, m, e, sum[0], sum[1], now() - begin },
           ROUND_COLS * sizeof *line);
    if (o->policy.row == TUNE_RWR) regress(q, o, round, epochs, a);
    else climb(q, o, epochs, a);
}

/* tune_png -- samples before, and the same noise after. */
static inline void tune_png(const args *o, const kit *k, int show, fd_real *const x[2], fd_arena a)
{
    enum { COLS = 8 };
    const ptrdiff_t size = fd_size(&k->s);
    const int bytes = k->norm.bytes, map = is_given("map") || !bytes ? o->map.row : FD_GRAY;
    fd_real *both = fd_raw(&a, fd_real, 2 * show * size);
    double lo = 0, hi = 255;
    need(a.st);
    for (int i = 0; i < 2; i++) {
        memcpy(both + i * show * size, x[i], (size_t)(show * size) * sizeof *both);
        to_file(&k->norm, &k->s, show, both + i * show * size);
    }
    if (!bytes) range(2 * show * size, both, &lo, &hi);
    sheet(a.st, o->png, &k->s, 2 * show, show < COLS ? show : COLS, both, lo, hi, map, a);
}

static inline int do_tune(args *o)
{
    enum { SHOW = 16 };
    fd_status st;
    fd_arena a = arena_make(o, &st);
    args was = *o;                                     /* how it was trained, for its file */
    kit *k = tune_model(&a, o, &was);
    const int epochs = tune_optimiser(&a, o, k);
    const prize w = prize_new(&a, o, k);
    tuning q = tuning_new(&a, k, o);
    q.first = kit_model(&a, k, k->from);
    q.raw = fd_net_model(&a, k->net, FD_X0);
    need(&st);
    args is = settle(o, k), as = *o;                   /* for the paths; for fd sample */
    is.corrector = as.corrector = (spec){ .t = &t_corrector };
    as.steps = 0, as.scheme = (spec){ &t_scheme, SCHEME_AUTO, { 0 } }, as.denoise = 1, as.eta = 0;
    as.times = (spec){ &t_times, TIMES_AUTO, { 0 } };
    const ptrdiff_t size = fd_size(&k->s);
    const int n = o->n;
    fd_real *x[2] = { fd_raw(&a, fd_real, n * size), fd_raw(&a, fd_real, n * size) };
    double *table = fd_raw(&a, double, o->rounds * ROUND_COLS), *r = fd_raw(&a, double, n);
    double mean[3] = { 0 }, error[3] = { 0 }, begin = now(), count = 0;
    int rounds = 0;
    need(&st);
    printf("%d functions a round, ", o->batch);
    if (o->policy.row == TUNE_RWR) printf("of the first model");
    else settled_print(&is);
    printf("; %s, %d update%s a round\n", t_policy.rows[o->policy.row].name, epochs,
           epochs > 1 ? "s" : "");
    start_say(k, q.t[0]);
    kit before = *k;
    before.model = q.first;
    sample(&before, &as, n, x[0], 0, 0, NULL, a);
    prizes(&w, n, x[0], "before", r, &mean[0], &error[0], a);
    if (o->beta > 0) count = aim(n, r, o->beta, &mean[2], &error[2], a);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (; rounds < o->rounds && !stopped; rounds++)
        tune_round(&q, &w, o, &is, &before, &as, rounds + 1, epochs, begin,
                   table + rounds * ROUND_COLS, a);
    if (!rounds) die(128 + stopped, "stopped before the first round");
    sample(k, &as, n, x[1], 0, 0, NULL, a);
    prizes(&w, n, x[1], "after", r, &mean[1], &error[1], a);
    printf("reward of %d samples of fd sample: %.4g +- %.2g before, %.4g +- %.2g after\n", n,
           mean[0], error[0], mean[1], error[1]);
    if (count > 0)
        printf("of the law p e^(beta reward), by weights, as if of %.3g samples: %.4g +- %.2g\n",
               count, mean[2], error[2]);
    kit_save(&st, o->out, k, &was, a);
    need(&st);
    wrote(o->out);
    if (o->log) {
        fd_csv_save(&st, o->log, ROUND_COLS, round_name, rounds, table);
        need(&st);
        wrote(o->log);
    }
    if (o->png) tune_png(o, k, n < SHOW ? n : SHOW, x, a);
    return stopped ? (finish(), 128 + (int)stopped) : finish();
}
#endif
