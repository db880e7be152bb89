/* cases_times.h -- cases of fd vectors: the times of samplers, the levels of chains. */
#ifndef CASES_TIMES_H
#define CASES_TIMES_H
#include "cases_transforms.h"

enum { TIMES_MOST = 9, CHAIN_MOST = 12 };

/* ---- Times of a sampler ---------------------------------------------------------------------- */

/* A process whose noise levels have formulas: vp or ve. */
typedef struct { const char *name; fd_process p; double b[2]; } timed;

/* timed_sigma, timed_at -- sigma = sqrt(v)/m at t, and the time of a sigma. */
static inline double timed_sigma(const timed *c, double t)
{
    double B = c->b[0] * t + (c->b[1] - c->b[0]) * t * t / 2;
    return *c->name == 'v' && c->name[1] == 'e' ? c->b[0] * pow(c->b[1] / c->b[0], t)
         : sqrt(expm1(B));
}
static inline double timed_at(const timed *c, double sigma)
{
    double B = log1p(sigma * sigma), d = c->b[1] - c->b[0];
    return c->name[1] == 'e' ? log(sigma / c->b[0]) / log(c->b[1] / c->b[0])
         : (sqrt(c->b[0] * c->b[0] + 2 * d * B) - c->b[0]) / d;
}

/* timed_rule -- time i of n steps by a rule, by the fault id. */
static inline double timed_rule(const char *id, const timed *c, int rule, double rho, int n, int i)
{
    const double from = c->p.tmax, to = c->p.tmin;
    double u = (double)i / n, a = timed_sigma(c, from), b = timed_sigma(c, to);
    if (!strcmp(id, "upside-down")) u = 1 - u;
    if (!strcmp(id, "one-short")) u = (double)i / (n + 1);
    if (!strcmp(id, "no-rho")) rho = 1;
    if (!strcmp(id, "inverse-rho")) rho = 1 / rho;
    if (rule == FD_UNIFORM) return from + u * (to - from);
    if (rule == FD_GEOMETRIC) return from * pow(to / from, u);
    if (!strcmp(id, "in-time"))
        return rule == FD_LOGSNR ? from * pow(to / from, u)
             : pow(pow(from, 1 / rho) + u * (pow(to, 1 / rho) - pow(from, 1 / rho)), rho);
    if (rule == FD_RHO)
        return timed_at(c, pow(pow(a, 1 / rho) + u * (pow(b, 1 / rho) - pow(a, 1 / rho)), rho));
    if (!strcmp(id, "log-variance")) {                  /* v/(1 + v) of sigma^2 is that of vp */
        double va = a * a / (1 + a * a), vb = b * b / (1 + b * b), v = va * pow(vb / va, u);
        return timed_at(c, sqrt(v / (1 - v)));
    }
    return timed_at(c, a * pow(b / a, u));
}

static inline void timed_case(casebook *q, const timed *c, int rule, double rho)
{
    static const char *const name[] = { "uniform", "geometric", "rho", "logsnr" };
    static const char *const wrong[] = { "upside-down", "one-short", "no-rho", "inverse-rho",
                                         "in-time", "log-variance" };
    const int steps = TIMES_MOST - 1, n = TIMES_MOST;
    double t[TIMES_MOST], z[TIMES_MOST];
    case_begin(q, VALID, rule == FD_RHO ? "[EDM eq. 5]" : "", "", "times of %d steps of %s by the "
               "rule %s, from tmax to tmin", steps, c->name, name[rule]);
    q->tol = fmax(5 * q->tol, 1e-7);
    param_text(q, "want", "times");
    param_text(q, "rule", name[rule]);
    param_text(q, "process", c->name);
    param(q, c->name[1] == 'e' ? "smin" : "b0", c->b[0]);
    param(q, c->name[1] == 'e' ? "smax" : "b1", c->b[1]);
    param(q, "tmax", c->p.tmax), param(q, "tmin", c->p.tmin), param(q, "steps", steps);
    if (rule == FD_RHO) param(q, "rho", rho);
    fd_times(&c->p, rule, rho, steps, t, q->mem.st);
    need(q->mem.st);
    for (int i = 0; i < n; i++) z[i] = timed_rule("", c, rule, rho, steps, i);
    agree(q, n, reals(q, n, t), z);
    put_out_d(q, "t", 1, &n, t);
    for (int f = 0; f < COUNT(wrong); f++) {
        if (c->name[1] == 'e' && !strcmp(wrong[f], "log-variance")) continue;
        for (int i = 0; i < n; i++) z[i] = timed_rule(wrong[f], c, rule, rho, steps, i);
        fault(q, wrong[f], "t", z);
    }
    case_end(q);
}

/* ---- Levels of a chain ----------------------------------------------------------------------- */

/* chain_beta -- beta_1 .. beta_T and gamma_t = prod (1 - beta) of a schedule, by the fault id. */
static inline void chain_beta(const char *id, int rule, int T, double b1, double bT, double *beta,
                              double *gamma)
{
    const double s = !strcmp(id, "no-offset") ? 0 : .008, w = TURN / 4 / (1 + s);
    double last = pow(cos(w * s), 2), all = 1;
    if (!strcmp(id, "plain-linear")) rule = FD_BETA_LINEAR;
    for (int i = 0; i < T; i++) {
        double u = !strcmp(id, "one-short") ? (i + 1.) / T : i / (T - 1.);
        double root = sqrt(b1) + u * (sqrt(bT) - sqrt(b1));
        double now = pow(cos(w * ((i + 1.) / T + s)), 2);
        beta[i] = rule == FD_BETA_QUADRATIC ? root * root
                : rule == FD_BETA_SIGMOID ? b1 + (bT - b1) / (1 + exp(-6 * (2 * u - 1)))
                : rule == FD_BETA_LINEAR ? b1 + (bT - b1) * u : 1 - now / last;
        if (rule == FD_BETA_COSINE && strcmp(id, "not-cut")) beta[i] = fmin(beta[i], .999);
        last = now;
        gamma[i] = !strcmp(id, "level-off") ? all : all * (1 - beta[i]);
        all *= 1 - beta[i];
        if (!strcmp(id, "root")) gamma[i] = sqrt(gamma[i]);
        if (!strcmp(id, "no-product")) gamma[i] = 1 - beta[i];
    }
}

static inline void chain_case(casebook *q, int rule, double b1, double bT)
{
    static const char *const name[] = { "linear", "quadratic", "sigmoid", "cosine" };
    static const char *const wrong[] = { "plain-linear", "one-short", "no-offset", "not-cut",
                                         "level-off", "root", "no-product" };
    const int T = CHAIN_MOST;
    double b[CHAIN_MOST], g[CHAIN_MOST], z[CHAIN_MOST], beta[CHAIN_MOST], all = 1;
    case_begin(q, VALID, rule == FD_BETA_COSINE ? "[iDDPM code, gaussian_diffusion.py]"
               : rule == FD_BETA_QUADRATIC ? "[LDM code, ldm/modules/diffusionmodules/util.py]"
               : "[DDPM eq. 4]", "Chain", "beta and gamma = prod (1 - beta) of the %s schedule, "
               "%d levels", name[rule], T);
    param_text(q, "want", "levels");
    param_text(q, "rule", name[rule]);
    param(q, "T", T), param(q, "b1", b1), param(q, "bT", bT);
    fd_beta_schedule(rule, T, b1, bT, beta, q->mem.st);
    need(q->mem.st);
    chain_beta("", rule, T, b1, bT, b, g);
    agree(q, T, reals(q, T, beta), b);
    for (int i = 0; i < T; i++) z[i] = all *= 1 - beta[i];
    put_out_d(q, "beta", 1, &T, beta);
    put_out_d(q, "gamma", 1, &T, z);
    for (int f = 0; f < COUNT(wrong); f++) {
        chain_beta(wrong[f], rule, T, b1, bT, b, g);
        fault(q, wrong[f], "beta", b), fault(q, wrong[f], "gamma", g);
    }
    case_end(q);
}

static inline void group_times(casebook *q)
{
    if (!group_begin(q, "times", "times of samplers, levels of chains")) return;
    fd_space g = fd_grid(&q->a, 1, (int[]){ 8 }, NULL, NULL, 1);
    fd_cov *noise = fd_cov_white(&q->a, &g, 1, 0);
    timed c[2] = { { "vp", fd_vp(noise, .1, 20), { .1, 20 } },
                   { "ve", fd_ve(noise, .01, 50), { .01, 50 } } };
    need(q->a.st);
    for (int i = 0; i < 2; i++) {
        c[i].p.tmin = i ? 0 : 1e-3;
        timed_case(q, &c[i], FD_UNIFORM, 0);
        if (!i) timed_case(q, &c[i], FD_GEOMETRIC, 0);
        timed_case(q, &c[i], FD_RHO, 7), timed_case(q, &c[i], FD_LOGSNR, 0);
    }
    timed_case(q, &c[1], FD_RHO, 3);
    for (int rule = FD_BETA_LINEAR; rule <= FD_BETA_COSINE; rule++)
        chain_case(q, rule, 1e-3, .3);
    group_end(q);
}
#endif
