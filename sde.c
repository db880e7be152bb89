/* sde.c -- diffusion, and what is done with it: four rooms, each announced by a banner that says
 * its notation. Names of functions begin with their section's word.
 *
 *   I. Diffusion
 *     proc        processes: m(t), v(t) of each, the clock of a step, times
 *     lin         combinations y_i = sum_j c_j(t_i, k) in_j,i: all that a process does to functions
 *     conv        conversions of predictions into each other
 *     oracle      exact models of known data; full: whose covariance has other modes
 *     precond     a network on top of the exact Gaussian model
 *     pair        training pairs; time: laws of t; norm: weights by mode
 *     step        rows of the one-stage schemes, stages of the others (dp: adaptive), the corrector
 *                 (snr: its norms), the loop
 *     trace       likelihood by the flow's change of density; elbo: the bound of the path space
 *     law         the exact law of a sampler, by probing its moves
 *     ends        paths between two laws; fd_sde_step: any scalar SDE
 *
 *   II. Observations, guidance, particles
 *     obs         what is seen of a function, and its noise
 *     gain        the algebra that all linear methods share
 *     post        exact posterior, exact conditional denoiser
 *     guide       guidance; move: projections and paths; blend, ucos: models made of models
 *     amort       one network for all observations
 *     twist       split Gibbs, ensembles, twisted particles
 *     released    methods as they were released; eci
 *
 *   III. Langevin dynamics, Markov chains, bridges, control
 *     lang, chain Langevin dynamics and Markov chains; latent: on a sampler's noise
 *     levy        priors of independent increments
 *     series      diagnostics of chains; fd_affine_law: the law of an affine step
 *     linear      linear equations; bridge, end: conditioned on their end; control
 *     system      any equation of numbers: steps, time reversal, Malliavin weights
 *     proposal    guided proposals
 *     kunita      flows of outlines
 *
 *   IV. Rewards
 *     policy      ratios, gradients and weights of steps; models that stay near another
 *
 *   Errata of the papers, one block for each: where a line, or fd.h, says "corrected".
 */
#define FD_IMPL
#include "fd.h"
#include <float.h>
#include <limits.h>

#define PI FD_PI

/* the rounding of fd_real: 1 and the next larger number differ by it */
#ifdef FD_DOUBLE
#define REAL_EPS DBL_EPSILON
#else
#define REAL_EPS ((double)FLT_EPSILON)
#endif

/* ==== I. Diffusion ============================================================================ *
 *
 * Everything is diagonal in the modes e_k of the noise covariance C e_k = lam_k e_k, and everything
 * follows from two functions of time per mode:
 *
 *     code     papers
 *     m        alpha_t, sqrt(gamma_t), A(r)       X_t | X_0 = x0 ~ N(m x0, v lam)
 *     v, s     sigma_t^2, sigma_t, B(r)           s = sqrt v
 *     a, q     f = -a x, g^2 = q                  a = -m'/m,  q = v' + 2 a v = v' - 2 v m'/m
 *     D        E[x0 | x]                          x = m D + s e
 *     k        m_t/m_s, s < t                     v(t|s) = v_t - k^2 v_s
 *     P        variance of X_t for Gaussian data  m^2 c + v lam, c the data eigenvalue
 *
 * v and q are in units of lam, so that no formula divides by an eigenvalue, which may be 0. Where m
 * and v do not depend on the mode (p->modal = 0) the coefficients are numbers, and no transform is
 * made; the exact models alone work in modes. */

/* ---- Processes ------------------------------------------------------------------------------- *
 *
 * law(p, t, mu) gives m, v and their derivatives; mu is the mode's eigenvalue of -Laplacian. */

/* The variance-preserving processes are one function of B = -log m^2: m = exp(-B/2),
 * v = 1 - exp(-B), written with expm1 since v must be right to rounding at small t. */
static fd_coef proc_vp(double B, double dB)
{
    double m = exp(-.5 * B);
    return (fd_coef){ m, -expm1(-B), -.5 * dB * m, dB * exp(-B) };
}

static fd_coef proc_law_ou(const fd_process *p, double t, double mu)
{
    (void)p, (void)mu;
    return proc_vp(t, 1);                             /* [Pidstrigach; Survey eq. 2.1] */
}

static fd_coef proc_law_vp(const fd_process *p, double t, double mu)
{
    double b0 = p->prm[0], db = p->prm[1] - b0;
    (void)mu;
    return proc_vp((b0 + .5 * db * t) * t, b0 + db * t);         /* [SDE eqs. 11, 25, 29, 32, 33] */
}

static fd_coef proc_law_subvp(const fd_process *p, double t, double mu)
{
    fd_coef c = proc_law_vp(p, t, mu);
    c.dv *= 2 * c.v;
    c.v *= c.v;                                     /* [SDE eqs. 12, 27, 28, 34; Thesis eq. 3.33] */
    return c;
}

/* m = cos f/cos f0, f = (t + s)/(1 + s) pi/2, f0 = f(0); 1 - m^2 = sin(f+f0) sin(f-f0)/cos^2 f0.
 * The path of [FFM code, functional_fm.py] has f0 = 0. cos f is written as sin(pi/2 - f), which is
 * 0 to the last bit at t = 1. */
static fd_coef proc_law_cosine(const fd_process *p, double t, double mu)
{
    double s = p->prm[0], w = PI / 2 / (1 + s), f0 = p->prm[1], f = w * (s + t), c0 = cos(f0);
    double up = f0 > 0 ? w * t : f;                                   /* f - f0 */
    fd_coef c = { sin(w * (1 - t)) / c0, sin(f + f0) * sin(up) / (c0 * c0), -w * sin(f) / c0, 0 };
    (void)mu;
    c.dv = -2 * c.m * c.dm;                                       /* [HDM code, functions/sde.py] */
    return c;
}

static fd_coef proc_law_ve(const fd_process *p, double t, double mu)
{
    double l = 2 * log(p->prm[1] / p->prm[0]), v = p->prm[0] * p->prm[0] * exp(l * t);
    (void)mu;
    return (fd_coef){ 1, v, 0, l * v };              /* [SDE eqs. 9, 21, 30, 31; Thesis eq. 3.32] */
}

static fd_coef proc_law_driftless(const fd_process *p, double t, double mu)
{
    (void)p, (void)mu;
    return (fd_coef){ 1, t, 0, 1 };                         /* [Thesis eqs. 4.6, 4.11-4.14, 4.17] */
}

static fd_coef proc_law_flow(const fd_process *p, double t, double mu)
{
    double s = t + p->prm[0] * (1 - t);                          /* [FFM code, functional_fm.py] */
    (void)mu;
    return (fd_coef){ 1 - t, s * s, -1, 2 * s * (1 - p->prm[0]) };
}

/* log gamma(t), linear between whole t, and its slope, at a whole t of the interval below */
static double proc_log_gamma(const fd_process *p, double t, double *slope)
{
    int T = (int)p->prm[0], i = !(t > 1) ? 0 : t >= T ? T - 1 : (int)ceil(t) - 1;
    *slope = p->table[i + 1] - p->table[i];
    return p->table[i] + (t < 0 ? 0 : t > T ? 1 : t - i) * *slope;
}

static fd_coef proc_law_ddpm(const fd_process *p, double t, double mu)
{
    double slope, l = proc_log_gamma(p, t, &slope);
    (void)mu;
    return proc_vp(-l, -slope);                                  /* [DDPM eq. 4; Thesis eq. 3.12] */
}

static fd_coef proc_law_ladder(const fd_process *p, double t, double mu)
{
    double v = p->prm[0] * exp(p->prm[1] * (t - 1));
    (void)mu;
    return (fd_coef){ 1, v, 0, p->prm[1] * v };                  /* [DDO code, src/util/utils.py] */
}

/* m = exp(-b_k B), v = (1 - m^2)/b_k, B = k0 (e^ct - 1); mu is k */
static fd_coef proc_law_fdp(const fd_process *p, double t, double mu)
{
    double b = p->table[(ptrdiff_t)mu], k0 = p->prm[0], c = p->prm[1];  /* [Thesis eq. 3.54] */
    double B = k0 * expm1(c * t), beta = k0 * c * exp(c * t), m = exp(-b * B);
    return (fd_coef){ m, b > 0 ? -expm1(-2 * b * B) / b : 2 * B, -b * beta * m, 2 * beta * m * m };
}

/* m = exp(-A th), v = (1 - m^2)/2A, A = c + kappa mu */
static fd_coef proc_law_heat(const fd_process *p, double t, double mu)
{
    double A = p->prm[0] + p->prm[1] * mu, dth = 1, th = t;
    if (p->curve[0]) th = p->curve[0](t, p->self, &dth);
    double m = exp(-A * th);                              /* [Thesis eqs. 2.43, 2.44, corrected] */
    return (fd_coef){ m, A > 0 ? -expm1(-2 * A * th) / (2 * A) : th, -A * dth * m, dth * m * m };
}

/* the clock of fd_heat_cosine: th = -log m */
static double proc_theta_cosine(double t, const void *self, double *slope)
{
    fd_process p = fd_vp_cosine(NULL);
    fd_coef c = p.law(&p, t, 0);
    (void)self;
    *slope = -c.dm / c.m;
    return -.5 * log1p(-c.v);
}

/* m = m0 exp(-mu w^2/2), w(t) = w0 + (w1 - w0) sin^2(pi t/2 tmax); v = v0 */
static fd_coef proc_law_blur(const fd_process *p, double t, double mu)
{
    const fd_process *base = p->self;
    double u = PI / 2 * t / p->prm[2], rise = p->prm[1] - p->prm[0], s = sin(u);
    double w = p->prm[0] + rise * s * s, dw = rise * sin(2 * u) * PI / 2 / p->prm[2];
    fd_coef c = base->law(base, t, 0);
    double e = exp(-.5 * mu * w * w);
    c.dm = e * (c.dm - c.m * mu * w * dw);
    c.m *= e;                                                      /* [DDO-SDF code, lib/sdes.py] */
    return c;
}

/* x = A x1 + B xi + G z at r = 1 - t */
static fd_coef proc_law_path(const fd_process *p, double t, double mu)
{
    double dA, dB, dG = 0, A = p->curve[0](1 - t, p->self, &dA),
        B = p->curve[1](1 - t, p->self, &dB);
    double G = p->curve[2] ? p->curve[2](1 - t, p->self, &dG) : 0;
    (void)mu;                                                        /* [Albergo et al. eq. 3.15] */
    return (fd_coef){ A, B * B + G * G, -dA, -2 * (B * dB + G * dG) };
}

/* Does t count steps? */
static int proc_whole(const fd_process *p)
{
    return p->law == proc_law_ddpm || p->law == proc_law_ladder;
}

/* --- The clock of a step ---
 *
 * A chain has kinks at whole t, and none where log gamma is the time. So the stages of a step over
 * [lo, hi] are laid out in a clock u, in which log gamma is linear over the whole step. That is for
 * a chain and a blurred one; elsewhere, and where no whole t cuts the step, u is t. */

/* the chain that p is, or that it blurs; else NULL */
static const fd_process *proc_chain_of(const fd_process *p)
{
    return p->law == proc_law_ddpm ? p : p->law == proc_law_blur ? proc_chain_of(p->self) : NULL;
}

/* the time t at which the clock of the step from t0 to t1, either way, shows u */
static double proc_clock(const fd_process *p, double t0, double t1, double u)
{
    const fd_process *c = proc_chain_of(p);
    double slope, l0, l;
    if (!c || u == t0 || u == t1) return u;
    l0 = proc_log_gamma(c, t0, &slope);
    l = l0 + (u - t0) / (t1 - t0) * (proc_log_gamma(c, t1, &slope) - l0);
    int lo = (int)floor(fmax(fmin(t0, t1), 0)), hi = (int)ceil(fmin(fmax(t0, t1), c->prm[0]));
    while (hi - lo > 1) {                             /* table[lo] >= l >= table[hi] */
        int mid = (lo + hi) / 2;
        if (c->table[mid] >= l) lo = mid;
        else hi = mid;
    }
    double d = hi > lo ? c->table[hi] - c->table[lo] : 0;
    return d < 0 ? fmin(fmax(lo + (l - c->table[lo]) / d, fmin(t0, t1)), fmax(t0, t1)) : u;
}

/* the law at a stage of a step over [lo, hi], with derivatives by u: at a kink those from within */
static fd_coef proc_inside(const fd_process *p, double t, double mu, double lo, double hi)
{
    const fd_process *c = proc_chain_of(p);
    fd_coef f = p->law(p, t, mu), d = f;
    if (!c || !(lo < hi)) return f;
    double in = t > lo ? t : nextafter(lo, hi), slope, all = proc_log_gamma(c, hi, &slope);
    all = (all - proc_log_gamma(c, lo, &slope)) / (hi - lo);
    proc_log_gamma(c, in, &slope);
    if (in != t) d = p->law(p, in, mu);
    f.dm = d.dm * all / slope;
    f.dv = d.dv * all / slope;
    return f;
}

/* the empty process of a constructor without a status; the first function with one records why */
static fd_process proc_none(const char *why)
{
    return (fd_process){ .why = why };
}

static int proc_positive(double x) { return x > 0 && x < INFINITY; }
static int proc_some(double x) { return x >= 0 && x < INFINITY; }

/* Has p a law? */
static int proc_made(const char *where, const fd_process *p, fd_status *st)
{
    if (st->code) return 0;
    if (p && p->why) fd_fail_name(st, FD_EARG, where, "the process could not be made", p->why);
    else if (!p || !p->law) FD_FAIL(st, FD_EARG, where, "the process is empty");
    return !st->code;
}

/* The same, but the empty process of a constructor that has recorded its failure says nothing. */
static int proc_given(const char *where, const fd_process *p, fd_status *st)
{
    return p && (p->law || p->why) && proc_made(where, p, st);
}

/* Has it a noise, too? */
static int proc_ready(const char *where, const fd_process *p, fd_status *st)
{
    if (proc_made(where, p, st) && !p->noise)
        FD_FAIL(st, FD_EARG, where, "the process has no noise");
    return !st->code;
}

fd_process fd_ou(const fd_cov *noise, double tmax)
{
    if (!proc_positive(tmax)) return proc_none("fd_ou: tmax must be above 0");
    return (fd_process){ .noise = noise, .tmin = 1e-3, .tmax = tmax, .law = proc_law_ou };
}

/* fd_vp and fd_subvp, which differ in their law */
static fd_process proc_rates(const char *why, const fd_cov *noise, double beta0, double beta1,
                             fd_coef (*law)(const fd_process *p, double t, double mu))
{
    if (!proc_some(beta0) || !proc_some(beta1) || beta0 + beta1 == 0) return proc_none(why);
    return (fd_process){ .noise = noise, .tmin = 1e-3, .tmax = 1, .prm = { beta0, beta1 },
                         .law = law };
}

fd_process fd_vp(const fd_cov *noise, double beta0, double beta1)
{
    return proc_rates("fd_vp: rates must be 0 or above, and not both 0", noise, beta0, beta1,
                      proc_law_vp);
}

fd_process fd_vp_cosine(const fd_cov *noise)
{
    return (fd_process){ .noise = noise, .tmin = 1e-5, .tmax = .9946,
                         .prm = { .008, PI / 2 * .008 / 1.008 }, .law = proc_law_cosine };
}

fd_process fd_subvp(const fd_cov *noise, double beta0, double beta1)
{
    return proc_rates("fd_subvp: rates must be 0 or above, and not both 0", noise, beta0, beta1,
                      proc_law_subvp);
}

fd_process fd_ve(const fd_cov *noise, double smin, double smax)
{
    if (!(smin > 0 && smax > smin && smax < INFINITY))
        return proc_none("fd_ve: needs 0 < smin < smax");
    return (fd_process){ .noise = noise, .tmax = 1, .prm = { smin, smax }, .law = proc_law_ve };
}

fd_process fd_driftless(const fd_cov *noise, double tmax)
{
    if (!proc_positive(tmax)) return proc_none("fd_driftless: tmax must be above 0");
    return (fd_process){ .noise = noise, .tmin = 1e-3, .tmax = tmax, .law = proc_law_driftless };
}

fd_process fd_flow(const fd_cov *noise, double smin)
{
    if (!(smin >= 0 && smin < 1)) return proc_none("fd_flow: needs 0 <= smin < 1");
    return (fd_process){ .noise = noise, .tmax = 1, .prm = { smin }, .law = proc_law_flow };
}

fd_process fd_flow_vp(const fd_cov *noise, double s)
{
    if (!proc_some(s)) return proc_none("fd_flow_vp: s must be 0 or above");
    return (fd_process){ .noise = noise, .tmax = 1, .prm = { s }, .law = proc_law_cosine };
}

fd_process fd_ladder(const fd_cov *noise, double v1, double vT, int T)
{
    if (!(v1 > 0 && vT > v1 && vT < INFINITY && T > 1))
        return proc_none("fd_ladder: needs 0 < v1 < vT and T > 1");
    return (fd_process){ .noise = noise, .tmin = 1, .tmax = T,
                         .prm = { v1, log(vT / v1) / (T - 1) }, .law = proc_law_ladder };
}

fd_process fd_heat(const fd_cov *noise, double c, double kappa, fd_schedule *theta,
                   const void *self, double tmax)
{
    if (!proc_some(c) || !proc_some(kappa))
        return proc_none("fd_heat: c and kappa must be 0 or above");
    if (!proc_positive(tmax)) return proc_none("fd_heat: tmax must be above 0");
    return (fd_process){ .noise = noise, .tmin = 1e-3 * tmax, .tmax = tmax, .prm = { c, kappa },
                         .modal = 1, .law = proc_law_heat, .curve = { theta }, .self = self };
}

fd_process fd_heat_cosine(const fd_cov *noise, double c, double kappa)
{
    fd_process p = fd_heat(noise, c, kappa, proc_theta_cosine, NULL, .9946);
    if (p.why) return proc_none("fd_heat_cosine: c and kappa must be 0 or above");
    p.tmin = 1e-5;
    return p;
}

fd_process fd_blur(const fd_process *base, double w0, double w1)
{
    if (!base || !base->law)
        return proc_none(base && base->why ? base->why : "fd_blur: the process to blur is empty");
    if (base->modal) return proc_none("fd_blur: a process with a law for each mode is not blurred");
    if (!(w0 >= 0 && w1 >= w0 && w1 < INFINITY)) return proc_none("fd_blur: needs 0 <= w0 <= w1");
    return (fd_process){ .noise = base->noise, .tmin = base->tmin, .tmax = base->tmax,
                         .prm = { w0, w1, base->tmax }, .modal = 1, .law = proc_law_blur,
                         .self = base };
}

fd_process fd_path(const fd_cov *noise, fd_schedule *A, fd_schedule *B, fd_schedule *G,
                   const void *self)
{
    if (!A || !B) return proc_none("fd_path: needs A and B");
    return (fd_process){ .noise = noise, .tmax = 1, .law = proc_law_path, .curve = { A, B, G },
                         .self = self };
}

/* A chain by its table log gamma_t = sum_{u <= t} log(1 - beta_u) [DDPM eq. 2; SDE eqs. 10, 22-24].
 * What is given is gamma, with gamma = 1, or beta. */
static fd_process proc_chain(fd_arena *a, const char *where, const fd_cov *noise, int T, int gamma,
                             const double *given)
{
    if (T < 1) return FD_FAIL(a->st, FD_EARG, where, "needs T >= 1; T", T), (fd_process){ 0 };
    if (!given) FD_FAIL(a->st, FD_EARG, where, gamma ? "gamma is missing" : "beta is missing");
    double *lg = fd_new(a, double, (size_t)T + 1);
    for (int t = 1; lg && t <= T; t++) {
        lg[t] = gamma ? log(given[t - 1]) : lg[t - 1] + log1p(-given[t - 1]);
        if (!(lg[t] < lg[t - 1] && isfinite(lg[t])))
            FD_FAIL(a->st, FD_EARG, where, gamma ? "gamma must fall from 1 and stay above 0; step"
                                                 : "beta must lie between 0 and 1; step", t);
    }
    if (a->st->code) return (fd_process){ 0 };
    return (fd_process){ .noise = noise, .tmax = T, .prm = { T }, .table = lg,
                         .law = proc_law_ddpm };
}

fd_process fd_ddpm_betas(fd_arena *a, const fd_cov *noise, int T, const double *beta)
{
    return proc_chain(a, __func__, noise, T, 0, beta);    /* [KER code, diffusion/ddpm.py] */
}

fd_process fd_ddpm_gammas(fd_arena *a, const fd_cov *noise, int T, const double *gamma)
{
    return proc_chain(a, __func__, noise, T, 1, gamma);
}

void fd_beta_schedule(int rule, int T, double beta1, double betaT, double *beta, fd_status *st)
{
    double last = 1, w = PI / 2 / 1.008;
    if (st->code) return;
    if (rule < FD_BETA_LINEAR || rule > FD_BETA_COSINE || T < 1)
        FD_FAIL(st, FD_EARG, __func__, "no such schedule, or T < 1", rule, T);
    else if (rule != FD_BETA_COSINE && !(beta1 > 0 && beta1 < 1 && betaT > 0 && betaT < 1))
        FD_FAIL(st, FD_EARG, __func__, "beta1 and betaT must lie between 0 and 1");
    if (st->code) return;
    for (int i = 0; i < T; i++) {
        double u = T > 1 ? i / (T - 1.) : 0, root = sqrt(beta1) + u * (sqrt(betaT) - sqrt(beta1));
        double f = cos(w * ((i + 1.) / T + .008)) / cos(w * .008);
        beta[i] = rule == FD_BETA_COSINE    ? fmin(1 - f * f / last, .999)
                : rule == FD_BETA_QUADRATIC ? root * root
                : rule == FD_BETA_SIGMOID   ? beta1 + (betaT - beta1) / (1 + exp(6 - 12 * u))
                                            : beta1 + (betaT - beta1) * u;
        last = f * f;
    }
}

/* Have two spaces the same grid, or the same basis? */
static int space_same(const fd_space *x, const fd_space *y)
{
    if (x->nd != y->nd || x->ch != y->ch || x->points != y->points || x->modes != y->modes
        || x->basis != y->basis) return 0;
    for (int i = 0; i < x->nd; i++)
        if (x->n[i] != y->n[i] || x->bc[i] != y->bc[i] || x->len[i] != y->len[i]) return 0;
    return 1;
}

/* Is s the space that a model was made for? */
static int space_fits(fd_status *st, const char *where, const fd_space *s, const fd_space *own)
{
    if (!st->code && !space_same(s, own))
        FD_FAIL(st, FD_ESHAPE, where, "not the space it was made for; points", s->points,
                own->points);
    return !st->code;
}

/* Is there a mode k? Where one law is for all modes the answer is yes. */
static int proc_has(const fd_process *p, ptrdiff_t k)
{
    return !p->modal || !p->noise || (k >= 0 && k < p->noise->s.modes);
}

/* what law is told of mode k, its mu or its number; proc_args: of all modes, mu [modes] */
static double proc_arg(const fd_process *p, ptrdiff_t k)
{
    double mu = 0;                                    /* modes of a dense space have none */
    if (!p->modal || !p->noise) return 0;
    if (p->modal == 1 && !p->noise->s.basis) fd_wave(&p->noise->s, k, &mu);
    return p->modal == 2 ? (double)k : mu;
}

static double *proc_args(const fd_process *p, fd_arena *a)
{
    const ptrdiff_t n = p->noise->s.modes;
    double *mu = fd_raw(a, double, n);
    if (p->modal == 1 && mu) fd_laplace(&p->noise->s, mu, *a);
    else for (ptrdiff_t k = 0; k < n && mu; k++) mu[k] = p->modal ? (double)k : 0;
    return mu;
}

/* The released coefficients are of [FDP code, sdetools/sde_utils.py], which has N^2 pixels and the
 * variance rho of an orthonormal mode: lam = rho/N^2. */
fd_process fd_fdp(fd_arena *a, const fd_cov *noise, double beta0, double beta1, const double *b)
{
    fd_status *st = a->st;
    const double k0 = .02;                            /* [FDP code, sdetools/heat_subvp_sde.py] */
    if (st->code || !noise) return (fd_process){ 0 };
    ptrdiff_t n = noise->s.modes;
    double *table = fd_raw(a, double, n);
    if (!table) return (fd_process){ 0 };
    if (!b) fd_laplace(&noise->s, table, *a);
    if (!proc_some(beta0) || !proc_some(beta1) || beta0 + beta1 == 0)
        FD_FAIL(st, FD_EARG, __func__, "rates must be 0 or above, and not both 0");
    for (ptrdiff_t k = 0; k < n && !st->code; k++) {
        double k2 = table[k] / (4 * PI * PI);
        table[k] = b ? b[k] : 1 / (k2 + .3) + sqrt(sqrt((k2 + 2) / (33 * 33)));
        if (!(table[k] >= 0 && isfinite(table[k])))
            FD_FAIL(st, FD_EARG, __func__, "b is negative or not finite: mode", k);
    }
    if (st->code) return (fd_process){ 0 };
    return (fd_process){ .noise = noise, .tmin = 1e-3, .tmax = 1, .table = table, .modal = 2,
                         .prm = { k0, log1p(.5 * (beta0 + beta1) / k0), !b, beta0 + beta1 },
                         .law = proc_law_fdp };
}

/* b_k of fd_fdp on the modes of `to`; NULL for the released ones, which are known of every mode */
static double *proc_carry(fd_arena *a, const fd_process *p, const fd_cov *to)
{
    const fd_space *s = &p->noise->s, *q = &to->s;
    double *r = p->prm[2] == 1 ? NULL : fd_new(a, double, q->modes);
    for (ptrdiff_t k = 0; k < q->modes && r; k++) {
        int j[3], l[3], known = !fd_mode(q, k, j);
        ptrdiff_t from = 0;
        for (int i = 0; i < q->nd; i++) {
            known &= j[i] < s->n[i];
            from = from * s->n[i] + j[i];             /* k = (j_0 n_1 + j_1) n_2 + .. */
        }
        known = known && !fd_mode(s, from, l);
        if (known) r[k] = p->table[from];
        else if (to->lam[k] > 0)
            FD_FAIL(a->st, FD_EARG, "fd_process_on",
                    "b of fd_fdp is not known of a mode with noise", k);
    }
    return r;
}

fd_process fd_process_on(fd_arena *a, const fd_process *p, const fd_space *s)
{
    fd_process r = { 0 }, *base;
    if (!proc_ready(__func__, p, a->st)) return r;
    fd_cov *noise = fd_cov_on(a, p->noise, s);
    if (!noise) return r;
    if (p->law == proc_law_fdp) {
        r = fd_fdp(a, noise, p->prm[3], 0, proc_carry(a, p, noise));
        r.tmin = p->tmin, r.tmax = p->tmax;
        return a->st->code ? (fd_process){ 0 } : r;
    }
    if (p->modal == 2)
        return FD_FAIL(a->st, FD_EARG, __func__,
                       "a law by the number of the mode is one of this grid alone"), r;
    r = *p;
    r.noise = noise;
    if (p->law == proc_law_blur) {
        base = fd_new(a, fd_process, 1);
        if (!base) return (fd_process){ 0 };
        *base = *(const fd_process *)p->self;
        base->noise = noise;
        r.self = base;
    }
    return r;
}

fd_cov *fd_fdp_noise(fd_arena *a, const fd_space *s, double energy, ptrdiff_t ref)
{
    if (a->st->code || !s->modes) return NULL;
    if (!proc_positive(energy) || ref < 0)
        return FD_FAIL(a->st, FD_EARG, __func__, "needs energy > 0 and ref >= 0"), NULL;
    double *lam = fd_raw(a, double, s->modes);
    if (!lam) return NULL;
    fd_laplace(s, lam, *a);
    for (ptrdiff_t k = 0; k < s->modes && !a->st->code; k++)
        lam[k] = 64 * 64 / 23.27 / ((lam[k] / (4 * PI * PI) + 2) * energy)
               / (double)(ref ? ref : s->points);
    return fd_cov_table(a, s, lam);
}

fd_coef fd_law(const fd_process *p, double t, ptrdiff_t k)
{
    if (!p->law || !proc_has(p, k)) return (fd_coef){ 0 };
    return p->law(p, t, proc_arg(p, k));
}

/* log sigma(t), sigma = sqrt(v)/m, of the mode with mu */
static double proc_logsigma(const fd_process *p, double t, double mu)
{
    fd_coef c = p->law(p, t, mu);
    return !(c.m > 0) ? INFINITY : !(c.v > 0) ? -INFINITY : .5 * log(c.v) - log(c.m);
}

/* the t in [tmin, tmax] with log sigma(t) = l where mu = 0, or the nearer end: sigma rises */
static double proc_time(const fd_process *p, double l)
{
    double lo = p->tmin, hi = p->tmax;
    if (proc_logsigma(p, lo, 0) >= l) return lo;
    if (proc_logsigma(p, hi, 0) <= l) return hi;
    for (;;) {                                        /* until no number lies between them */
        double mid = .5 * (lo + hi);
        if (mid == lo || mid == hi) return lo;
        if (proc_logsigma(p, mid, 0) <= l) lo = mid;
        else hi = mid;
    }
}

void fd_times(const fd_process *p, int rule, double prm, int steps, double *t, fd_status *st)
{
    if (!proc_made(__func__, p, st)) return;
    double t0 = p->tmin, t1 = p->tmax, rho = prm > 0 ? prm : 7, n = steps;
    double l1 = proc_logsigma(p, t1, 0), l0 = proc_logsigma(p, t0, 0);
    int skip = rule >= FD_RHO && isinf(l1) ? 1 : 0;
    if (skip) l1 = log(1e4);
    if (rule < FD_UNIFORM || rule > FD_LOGSNR || steps < 1)
        FD_FAIL(st, FD_EARG, __func__, "no such rule, or no steps", rule, steps);
    else if (!(t0 >= 0 && t1 > t0 && t1 < INFINITY))
        FD_FAIL(st, FD_EARG, __func__, "needs 0 <= tmin < tmax");
    else if (rule == FD_RHO && !(prm >= 0 && prm < INFINITY))
        FD_FAIL(st, FD_EARG, __func__, "rho must be above 0");
    else if (rule == FD_GEOMETRIC && t0 == 0)
        FD_FAIL(st, FD_EARG, __func__, "equal ratios of t need tmin > 0");
    else if (rule == FD_LOGSNR && !(l0 > -INFINITY))
        FD_FAIL(st, FD_EARG, __func__, "equal steps of log(m^2/v) need v > 0 at tmin");
    else if (rule >= FD_RHO && !(l0 < INFINITY))
        FD_FAIL(st, FD_EARG, __func__, "the rule needs m > 0 at tmin");
    else if (rule >= FD_RHO && steps > 1 && !(l1 > l0))
        FD_FAIL(st, FD_EARG, __func__, "sqrt(v)/m must be less at tmin than at tmax, and than 1e4");
    if (st->code) return;
    for (int i = 1; i < steps && rule < FD_RHO; i++)
        t[i] = rule == FD_UNIFORM ? (t1 * (n - i) + t0 * i) / n : t1 * pow(t0 / t1, i / n);
    if (rule >= FD_RHO) {
        n = steps > skip ? steps - skip : 1;
        for (int i = skip; i < steps; i++) {
            double u = (i - skip) / n;
            double l = rule == FD_LOGSNR ? l1 + u * (l0 - l1)
                                         : rho * log((1 - u) * exp(l1 / rho) + u * exp(l0 / rho));
            t[i] = proc_time(p, l);
        }
    }
    t[0] = t1;
    t[steps] = t0;
}

/* int_s^t q/m^e du, e = 0, 1, by one panel of eight Gauss points */
static double proc_panel(const fd_process *p, double s, double t, double mu, int e)
{
    static const double x[4] = { .1834346424956498049394761, .5255324099163289858177390,
                                 .7966664774136267395915539, .9602898564975362316835609 };
    static const double w[4] = { .3626837833783619829651504, .3137066458778872873379622,
                                 .2223810344533744705443560, .1012285362903762591525314 };
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        fd_coef c = p->law(p, .5 * (s + t) + .5 * (t - s) * (i & 1 ? x[i / 2] : -x[i / 2]), mu);
        double q = c.dv - 2 * c.v * c.dm / c.m;
        sum += w[i / 2] * (e ? q / c.m : q);
    }
    return .5 * (t - s) * sum;
}

/* the same by panels that are halved until halving changes nothing, or until there are too many: a
 * law of the user's own may be noisier than the tolerance */
static double proc_halve(const fd_process *p, double s, double t, double mu, int e, double all,
                         double tol, int *left)
{
    double mid = .5 * (s + t), l = proc_panel(p, s, mid, mu, e), r = proc_panel(p, mid, t, mu, e);
    if (--*left < 0 || !(fabs(l + r - all) > tol)) return l + r;      /* NaN ends it, too */
    l = proc_halve(p, s, mid, mu, e, l, tol, left);
    return l + proc_halve(p, mid, t, mu, e, r, tol, left);
}

/* the same, from kink to kink. A chain, whose q jumps at whole t, has closed forms:
 * q = -(log m^2)', so they are 2 log(m_s/m_t) and 2 (1/m_t - 1/m_s). */
static double proc_integral(const fd_process *p, double s, double t, double mu, int e)
{
    if (p->law == proc_law_ddpm) {
        double ms = p->law(p, s, mu).m, mt = p->law(p, t, mu).m;
        return e ? 2 * (1 / mt - 1 / ms) : 2 * log(ms / mt);
    }
    double sum = 0;
    for (double lo = s, hi; lo < t; lo = hi) {
        hi = proc_chain_of(p) ? fmin(t, floor(lo) + 1) : t;
        double all = proc_panel(p, lo, hi, mu, e);
        int left = 1000;
        sum += proc_halve(p, lo, hi, mu, e, all, 1e-14 * fabs(all), &left);
    }
    return sum;
}

/* --- What a start costs ---
 *
 * Samplers start from N(0, v_T) in place of N(m_T M, P_T). With r = P_e/P_T and k = m_T/m_e, the
 * flow to the time e takes that to a mean that is off by -sqrt(r) m_T M and to the variance r v_T,
 * the SDE to a mean that is off by -k r m_T M and to P_e v(T|e)/P_T + (k r)^2 v_T. */

/* squared Wasserstein distance of two Gaussians: dM2 that of their means, x and y variances */
static double proc_gap2(double dM2, double x, double y)
{
    double d = sqrt(x) - sqrt(y);
    return dM2 + d * d;
}

/* Gaussian data N(mean, c0) and a process, by mode: mu [modes] and the mean's coefficients M
 * [ch][modes], zeros where mean is NULL. Returns 0 where they do not go together. */
static int proc_gauss(const char *where, const fd_process *p, const fd_real *mean,
                      const fd_cov *c0, double **mu, fd_real **M, fd_arena *a)
{
    if (!c0 || !proc_ready(where, p, a->st)) return 0;
    const fd_space *s = &p->noise->s;
    if (!space_same(s, &c0->s))
        FD_FAIL(a->st, FD_ESHAPE, where, "data and noise have different modes");
    *mu = proc_args(p, a);
    *M = fd_new(a, fd_real, s->ch * s->modes);
    if (mean) fd_to_modes(s, 1, mean, *M, *a);
    return !a->st->code;
}

fd_gap fd_terminal(const fd_process *p, const fd_real *mean, const fd_cov *c0, fd_arena scratch)
{
    fd_gap g = { 0 };
    double *mu;
    fd_real *M;
    if (!proc_gauss(__func__, p, mean, c0, &mu, &M, &scratch)) return g;
    const ptrdiff_t modes = p->noise->s.modes, ch = p->noise->s.ch;
    double w2 = 0, ode = 0, sde = 0;
    for (ptrdiff_t k = 0; k < modes; k++) {
        fd_coef T = p->law(p, p->tmax, mu[k]), E = p->law(p, p->tmin, mu[k]);
        double c = c0->lam[k], lam = p->noise->lam[k], V = T.v * lam, sum2 = 0;
        double PT = T.m * T.m * c + V, PE = E.m * E.m * c + E.v * lam, r = PT > 0 ? PE / PT : 1;
        double q = T.m == 0 ? 0 : T.m / E.m;
        for (ptrdiff_t l = 0; l < ch; l++) sum2 += (double)M[l * modes + k] * M[l * modes + k];
        sum2 *= T.m * T.m / (double)ch;               /* (m_T M)^2, mean over channels */
        if (k == 0 || T.m > g.m) g.m = T.m, g.k = k;
        if (V > 0) g.kl += .5 * (double)ch * ((T.m * T.m * c + sum2) / V - log(PT / V));
        w2 += (double)ch * proc_gap2(sum2, PT, V);
        ode += (double)ch * proc_gap2(r * sum2, PE, r * V);
        sde += (double)ch * proc_gap2(q * q * r * r * sum2, PE,
                                      r * fmax(0, T.v - q * q * E.v) * lam + q * q * r * r * V);
    }
    g.w2 = sqrt(w2), g.ode = sqrt(ode), g.sde = sqrt(sde);
    return g;
}

fd_conditions fd_conditions_at(const fd_process *p, const fd_real *mean, const fd_cov *c0, double t,
                               fd_arena scratch)
{
    fd_conditions q = { 0 };
    double *mu;
    fd_real *M;
    if (!proc_gauss(__func__, p, mean, c0, &mu, &M, &scratch)) return q;
    const ptrdiff_t modes = p->noise->s.modes, ch = p->noise->s.ch;
    double all = 0, eps = 16 * REAL_EPS;
    for (ptrdiff_t i = 0; i < ch * modes; i++) all += (double)M[i] * (double)M[i];
    for (ptrdiff_t i = 0; i < ch * modes; i++)        /* what the transform makes of 0 is no mean */
        if (fabs((double)M[i]) < eps * sqrt(all)) M[i] = 0;
    for (ptrdiff_t k = 0; k < modes; k++) {
        const fd_coef f = p->law(p, t, mu[k]);
        const double c = c0->lam[k], lam = p->noise->lam[k], V = f.v * lam, n = (double)ch;
        double m2 = 0;                                /* of all channels */
        for (ptrdiff_t l = 0; l < ch; l++)
            m2 += (double)M[l * modes + k] * (double)M[l * modes + k];
        if (!(c > 0) && !(lam > 0) && !(m2 > 0)) continue;
        const double a = f.m > 0 ? -f.dm / f.m : INFINITY, rate = f.dv + 2 * a * f.v;
        const double X = n * c + m2, P = f.m * f.m * c + V;       /* of X_0, and of X_t */
        q.trace += n * lam, q.square += n * lam * lam;                /* [Thesis eq. 4.20] */
        q.data += X;
        q.most = fmax(q.most, fabs(a));                   /* [Thesis eq. 4.21; Survey cond. 2.3] */
        if (X > 0) q.start += a * a * X;                              /* [Survey cond. 2.1] */
        if (lam > 0) q.smooth += n * a * a * rate * lam;
        if (P > 0) q.drift += n * a * a * P;                          /* [Thesis eq. 4.19] */
        if (lam > 0)
            q.mean += m2 / lam, q.member += (n * c + m2) / lam,
            q.ratio = fmax(q.ratio, a * a / lam);                     /* [Thesis eq. 4.24] */
        else
            q.member = q.ratio = INFINITY, q.mean = m2 > 0 ? INFINITY : q.mean;
        if (V > 0) q.feldman += n * pow(f.m * f.m * c / V, 2), q.shift += f.m * f.m * m2 / V;
        else if (c > 0 || m2 > 0)                                     /* [Survey cond. 2.4] */
            q.bare += n, q.feldman = INFINITY, q.shift = m2 > 0 ? INFINITY : q.shift;
    }
    return q;
}

/* ---- Combinations ---------------------------------------------------------------------------- *
 *
 * y_i = sum_j c_j(t_i, mu_k) in_j,i for the functions i of a batch: a pair, a target, a conversion,
 * a step. For a scalar process c is one number per function and input; for a modal one the sum is
 * made in modes. */

/* Reals that are one task of a thread; fewer reals than LIN_SERIAL stay on one thread. */
enum { LIN_BLOCK = 8192, LIN_SERIAL = 1 << 16 };

/* up to three functions, or batches of them */
#define INPUTS(...) (const fd_real *[3]){ __VA_ARGS__ }

/* lin_row -- y = sum_j c[j] in[j], n numbers, nin = 1..3 inputs; y may be one of them. Nothing is
 * fused: of a b + c d a compiler may fuse either product or none, and copies of this loop would
 * then differ in the last bit. */
#ifdef FD_PLAIN
FD_NOFMA_FN static void lin_row(ptrdiff_t n, int nin, const fd_real c[3],
                                const fd_real *const in[3], fd_real *y)
{
    FD_NOFMA
    for (ptrdiff_t i = 0; i < n; i++) {
        fd_real s = 0;
        for (int j = 0; j < nin; j++) s = s + c[j] * in[j][i];
        y[i] = s;
    }
}
#else
FD_NOFMA_FN static void lin_row(ptrdiff_t n, int nin, const fd_real c[3],
                                const fd_real *const in[3], fd_real *y)
{
    FD_NOFMA
    const fd_vec zero = { 0 };
    for (ptrdiff_t i = 0; i < n; i += FD_W) {
        int r = n - i < FD_W ? (int)(n - i) : FD_W;
        fd_vec s = zero;
        for (int j = 0; j < nin; j++)
            s = s + c[j] * (r == FD_W ? vload(in[j] + i) : vload_n(in[j] + i, r));
        if (r == FD_W) vstore(y + i, s);
        else vstore_n(y + i, s, r);
    }
}
#endif

/* block `task % blocks` of function `task / blocks` */
static void lin_task(ptrdiff_t task, ptrdiff_t blocks, ptrdiff_t n, int nin, const fd_real *c,
                     const fd_real *const in[3], fd_real *y)
{
    ptrdiff_t at = task % blocks * LIN_BLOCK, o = task / blocks * n + at;
    ptrdiff_t len = n - at < LIN_BLOCK ? n - at : LIN_BLOCK;
    const fd_real *from[3] = { NULL };
    for (int j = 0; j < nin; j++) from[j] = in[j] + o;
    lin_row(len, nin, c + task / blocks * 3, from, y + o);
}

/* b functions of n reals, c [b][3]; y may be an input. A parallel region of one thread would cost
 * as much as a small row. */
static void lin_batch(int b, ptrdiff_t n, int nin, const fd_real *c, const fd_real *const in[3],
                      fd_real *y)
{
    ptrdiff_t blocks = (n + LIN_BLOCK - 1) / LIN_BLOCK, tasks = b * blocks;
    if (b * n < LIN_SERIAL) {
        for (ptrdiff_t k = 0; k < tasks; k++) lin_task(k, blocks, n, nin, c, in, y);
    } else {
        FD_PARALLEL
        for (ptrdiff_t k = 0; k < tasks; k++) lin_task(k, blocks, n, nin, c, in, y);
    }
}

/* A rule: c[j] at time t for the mode with this mu. It returns NULL, or why there are none. */
typedef const char *lin_coef(const void *ctx, const fd_process *p, double t, double mu,
                             double c[3]);

/* c [nin] by the rule f, as fd_real; NULL, or why there are none */
static const char *lin_get(lin_coef *f, const void *ctx, const fd_process *p, double t, double mu,
                           int nin, fd_real c[3])
{
    double d[3] = { 0 };
    const char *why = f(ctx, p, t, mu, d);
    for (int j = 0; j < nin && !why; j++) {
        c[j] = (fd_real)d[j];
        if (!isfinite(c[j])) why = "a coefficient is not finite: m or v is too small";
    }
    return why;
}

/* t [b], the same for all functions */
static double *lin_at(fd_arena *a, int b, double t)
{
    double *tb = fd_raw(a, double, b);
    for (int i = 0; i < b && tb; i++) tb[i] = t;
    return tb;
}

/* y_i by the rule f. Coefficients are made first, so that a failure leaves y as it was. */
static void lin_apply(const char *where, const fd_process *p, int b, const double *t, lin_coef *f,
                      const void *ctx, int nin, const fd_real *const in[3], fd_real *y,
                      fd_arena scratch)
{
    fd_status *st = scratch.st;
    const char *why = NULL;
    if (st->code) return;
    const fd_space *s = &p->noise->s;
    ptrdiff_t n = fd_size(s), modes = s->modes;
    if (!p->modal) {
        fd_real *c = fd_new(&scratch, fd_real, (size_t)b * 3);
        if (!c) return;
        for (int i = 0; i < b && !why; i++) why = lin_get(f, ctx, p, t[i], 0, nin, c + i * 3);
        if (why) FD_FAIL(st, FD_EARG, where, why);
        else lin_batch(b, n, nin, c, in, y);
        return;
    }
    double *mu = proc_args(p, &scratch);
    fd_real *c = fd_raw(&scratch, fd_real, modes * 3);                /* [modes][3] */
    fd_real *u = fd_raw(&scratch, fd_real, s->ch * modes);            /* [ch][modes] */
    fd_real *w = fd_raw(&scratch, fd_real, s->ch * modes);
    if (!w) return;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < b; i++) {
            if (i == 0 || t[i] != t[i - 1])
                for (ptrdiff_t k = 0; k < modes && !why; k++)
                    why = lin_get(f, ctx, p, t[i], mu[k], nin, c + k * 3);
            if (why) { FD_FAIL(st, FD_EARG, where, why); return; }
            if (pass == 0) continue;
            for (int j = 0; j < nin; j++) {
                fd_to_modes(s, 1, in[j] + i * n, w, scratch);
                for (ptrdiff_t l = 0; l < s->ch; l++)
                    for (ptrdiff_t k = 0; k < modes; k++) {
                        fd_real x = c[k * 3 + j] * w[l * modes + k];
                        u[l * modes + k] = j ? u[l * modes + k] + x : x;
                    }
            }
            fd_from_modes(s, 1, u, y + i * n, scratch);
        }
}

/* ---- Models ---------------------------------------------------------------------------------- *
 *
 * Every kind of prediction is y = al D + be e under x = m D + s e. Two kinds at one x:
 *
 *     y' = ((al' be - be' al) x + (be' m - al' s) y)/(m be - s al)
 *
 * and a change of D moves y by (al - be m/s) times as much. The last two are C^-p of the score. */

/* A model of this kind says y = al D + be e, where e = (x - m D)/s. */
static void conv_pair(fd_coef c, int kind, double *al, double *be)
{
    double s = sqrt(c.v);
    *al = kind == FD_X0 ? 1 : kind == FD_V ? -s : kind == FD_VELOCITY ? -c.dm : 0; /* [v sec. 4] */
    *be = kind == FD_NOISE ? 1 : kind == FD_SCORE ? -1 / s : kind == FD_V ? c.m
        : kind == FD_VELOCITY ? -c.dv / (2 * s) : 0;                  /* [Survey eqs. 3.4-3.6] */
}

/* the kind without its power of C, and the power p: the kind is C^-p of its base */
static int conv_base(int kind) { return kind > FD_VELOCITY ? FD_SCORE : kind; }
static double conv_power(int kind) { return kind > FD_VELOCITY ? .5 * (kind - FD_VELOCITY) : 0; }

/* Is there such a kind? */
static int conv_known(fd_status *st, const char *where, int kind)
{
    if (kind >= FD_X0 && kind <= FD_SCORE_FULL) return 1;
    FD_FAIL(st, FD_EARG, where, "no such kind of prediction", kind);
    return 0;
}

/* ctx: two kinds, from and to */
static const char *conv_coef(const void *ctx, const fd_process *p, double t, double mu, double r[3])
{
    const int *kind = ctx;
    fd_coef c = p->law(p, t, mu);
    double al, be, al2, be2, det;
    if (!(c.v > 0)) return "there is no such map where v = 0";
    conv_pair(c, kind[0], &al, &be);                      /* [EDM eq. 3; Survey eq. 2.7] */
    conv_pair(c, kind[1], &al2, &be2);
    det = c.m * be - sqrt(c.v) * al;                      /* [Thesis eqs. 3.63, 3.64, 4.8, 4.9] */
    if (al == 0 && al2 == 0) r[0] = 0, r[1] = be2 / be;               /* noise and score: any m */
    else if (det == 0) return "there is no such map where m = 0";
    else r[0] = (al2 * be - be2 * al) / det, r[1] = (be2 * c.m - al2 * sqrt(c.v)) / det;
    return NULL;
}

void fd_convert(const fd_process *p, int from, int to, int b, const fd_real *x, const double *t,
                fd_real *y, fd_arena scratch)
{
    int kind[2] = { conv_base(from), conv_base(to) };
    double up = conv_power(from), down = conv_power(to);
    fd_real *z = y;
    if (!conv_known(scratch.st, __func__, from) || !conv_known(scratch.st, __func__, to)) return;
    if (!proc_ready(__func__, p, scratch.st) || from == to) return;
    ptrdiff_t n = b * fd_size(&p->noise->s);
    if (up > 0) z = fd_raw(&scratch, fd_real, n);
    if (up > 0) fd_cov_pow(p->noise, up, b, y, z, scratch);
    if (kind[0] != kind[1] && down > 0) {             /* up is 0: both would be of the score */
        z = fd_raw(&scratch, fd_real, n);
        if (z) memcpy(z, y, (size_t)n * sizeof *z);
    }
    if (kind[0] != kind[1])
        lin_apply(__func__, p, b, t, conv_coef, kind, 2, INPUTS(x, z), z, scratch);
    if (down > 0) fd_cov_pow(p->noise, -down, b, z, y, scratch);
    else if (z != y && !scratch.st->code) memcpy(y, z, (size_t)n * sizeof *y);
}

void fd_average_velocity(const fd_process *p, const fd_real *mean, const fd_cov *c0, int b,
                         const double *t, const double *r, const fd_real *x, fd_real *u,
                         fd_arena scratch)
{
    double *mu;
    fd_real *M;
    if (!proc_gauss(__func__, p, mean, c0, &mu, &M, &scratch)) return;
    const fd_space *s = &p->noise->s;
    const ptrdiff_t n = s->ch * s->modes;
    for (int i = 0; i < b; i++)
        if (!(r[i] < t[i] && r[i] >= 0 && t[i] <= p->tmax))
            FD_FAIL(scratch.st, FD_EARG, __func__, "times must be 0 <= r < t <= tmax; function", i);
    fd_real *z = fd_raw(&scratch, fd_real, b * n);
    if (!z) return;
    fd_to_modes(s, b, x, z, scratch);
    for (ptrdiff_t i = 0; i < b * n && !scratch.st->code; i++) {
        const ptrdiff_t k = i % s->modes, f = i / n;
        const fd_coef T = p->law(p, t[f], mu[k]), R = p->law(p, r[f], mu[k]);
        const double c = c0->lam[k], lam = p->noise->lam[k], from = T.m * T.m * c + T.v * lam;
        const double to = R.m * R.m * c + R.v * lam, keep = from > 0 ? sqrt(to / from) : 0;
        const double at = (double)z[i], m = (double)M[i % n];
        z[i] = (fd_real)((at - R.m * m - keep * (at - T.m * m)) / (t[f] - r[f]));
    }
    fd_from_modes(s, b, z, u, scratch);
}

void fd_predict(const fd_model *m, int want, const fd_process *p, int b, const fd_real *x,
                const double *t, fd_real *y, fd_arena scratch)
{
    if (!proc_ready(__func__, p, scratch.st)) return;
    if (!m->eval) FD_FAIL(scratch.st, FD_EARG, __func__, "the model is empty");
    else m->eval(m->self, &p->noise->s, b, x, t, y, scratch);
    fd_convert(p, m->predicts, want, b, x, t, y, scratch);
}

/* --- Exact models ---
 *
 * Data are from sum_i w_i N(M_i, c_i), c_i diagonal in the modes. With P_i = m^2 c_i + v lam,
 *
 *     D_i = g_i x + h_i M_i,  g = c m/P,  h = v lam/P;      Var_i = c v lam/P
 *     l_i = log w_i - 1/2 sum_k [log(P_i/P_0) + (x - m M_i)^2/P_i],   W = softmax l
 *     D   = sum W_i D_i,    Var = sum W_i (Var_i + (D_i - D)^2)
 *     J^T dy = sum W_i (g_i dy + <dy, D_i - D> r_i),        r_i = -(x - m M_i)/P_i = dl_i/dx
 *
 * A single Gaussian is n = 1, a data set is c = 0. Where P = 0 the state says nothing of the mode:
 * g = 0, h = 1, Var = c. The same is done where P is as small as rounding and g > 1 would make that
 * larger: a heat process takes what has no noise to 1e-40 and less. A mode with P = 0 stays out of
 * l, for its components are either equal or as far apart as rounding makes them. For the same
 * reason P in l is raised by the square of the rounding error of a coefficient: with a smooth C,
 * v lam soon falls below it.
 *
 * Products are not fused: the threaded and the serial loop must not differ in what they fuse. */

/* what an exact model begins with; run(self, what, ..) says D, J^T dy or Var */
enum { ORACLE_EVAL, ORACLE_VJP, ORACLE_VAR };
typedef struct {
    void (*run)(const void *self, int what, const fd_space *s, int b, const fd_real *x,
                const double *t, const fd_real *dy, fd_real *y, fd_arena scratch);
    fd_process p;
} exact;

typedef struct {
    exact e;
    int n;
    double *logw;                     /* [n] */
    const double **c;                 /* [n] eigenvalues of component i; NULL: 0 */
    double *low;                      /* [modes] min_i c_i */
    double *mu;                       /* [modes]; NULL: scalar process */
    fd_real *M;                       /* [n][ch][modes]; NULL: 0 */
    const fd_real *mean;              /* [ch][points]; with ratio only */
    double ratio;                     /* c/lam, where it is one number on all modes; else -1 */
} oracle;

typedef struct {                      /* of one component at one time, all [modes] */
    double *g, *h, *m, *ip;           /* ip = 1/P, 0 where the mode stays out of l */
    double logs;                      /* sum_k log(P_i/P_0) of one channel */
    double t, floor;                  /* what it was made for */
    const double *c;
    int made;
} oracle_tab;

/* the law of mode k */
static fd_coef oracle_law(const oracle *o, double t, ptrdiff_t k)
{
    return o->e.p.law(&o->e.p, t, o->mu ? o->mu[k] : 0);
}

/* g and h of one mode; least is the P of oracle_least */
FD_NOFMA_FN static void oracle_gain(fd_coef f, double lam, double c, double least, double *g,
                                    double *h)
{
    FD_NOFMA
    double P = f.m * f.m * c + f.v * lam;
    int says = P > least || (P > 0 && c * f.m <= P);
    *g = says ? c * f.m / P : 0;
    *h = says ? f.v * lam / P : 1;
}

/* the P below which a coefficient may be rounding: it is then so much smaller than the largest one
 * that a sixty-fourth of it is. mu NULL: scalar process; c NULL: 0 */
FD_NOFMA_FN static double oracle_least(const fd_process *p, const double *mu, double t,
                                       const double *c)
{
    FD_NOFMA
    const double eps = 64 * REAL_EPS, *lam = p->noise->lam;
    fd_coef f = p->law(p, t, mu ? mu[0] : 0);
    double top = 0;
    for (ptrdiff_t k = 0; k < p->noise->s.modes; k++) {
        if (mu && k) f = p->law(p, t, mu[k]);
        top = fmax(top, f.m * f.m * (c ? c[k] : 0) + f.v * lam[k]);
    }
    return eps * eps * top;
}

/* b for component i at time t, unless it is what b holds */
FD_NOFMA_FN static void oracle_table(const oracle *o, oracle_tab *b, int i, double t, double floor)
{
    FD_NOFMA
    const double *lam = o->e.p.noise->lam, *ci = o->c[i], *c0 = o->c[0];
    if (b->made && b->t == t && b->floor == floor && b->c == ci) return;
    fd_coef f = oracle_law(o, t, 0);
    double least = oracle_least(&o->e.p, o->mu, t, ci);
    b->made = 1, b->t = t, b->floor = floor, b->c = ci, b->logs = 0;
    for (ptrdiff_t k = 0; k < o->e.p.noise->s.modes; k++) {
        if (o->mu) f = oracle_law(o, t, k);
        double c = ci ? ci[k] : 0, m2 = f.m * f.m, vl = f.v * lam[k];
        oracle_gain(f, lam[k], c, least, &b->g[k], &b->h[k]);
        b->m[k] = f.m;
        b->ip[k] = 0;
        if (m2 * o->low[k] + vl > 0) {
            double P = m2 * c + vl + floor;
            b->ip[k] = 1 / P;
            if (ci != c0) b->logs += log(P / (m2 * c0[k] + vl + floor));
        }
    }
}

/* sum_k ip (u - m M)^2, as eight running sums, which fill vectors */
FD_NOFMA_FN static double oracle_dist(ptrdiff_t n, const oracle_tab *b, const fd_real *u,
                                      const fd_real *M)
{
    FD_NOFMA
    double s[8] = { 0 };
    ptrdiff_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++) {
            double d = u[k + j] - b->m[k + j] * M[k + j];
            s[j] += b->ip[k + j] * d * d;
        }
    for (; k < n; k++) {
        double d = u[k] - b->m[k] * M[k];
        s[k & 7] += b->ip[k] * d * d;
    }
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

/* l [n] becomes softmax l */
static void softmax(int n, double *l)
{
    double top = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) top = fmax(top, l[i]);
    for (int i = 0; i < n; i++) sum += l[i] = exp(l[i] - top);
    for (int i = 0; i < n; i++) l[i] /= sum;
}

/* W = softmax l [n]; of a data set it is [EDM eq. 57] */
FD_NOFMA_FN static void oracle_weights(const oracle *o, oracle_tab *b, double t, double floor,
                                       const fd_real *u, double *W)
{
    FD_NOFMA
    ptrdiff_t modes = o->e.p.noise->s.modes, ch = o->e.p.noise->s.ch;
    if (o->n == 1) { W[0] = 1; return; }
    for (int i = 0; i < o->n; i++) {
        const fd_real *M = o->M + i * ch * modes;
        oracle_table(o, b, i, t, floor);
        W[i] = o->logw[i] - .5 * (double)ch * b->logs;
        for (ptrdiff_t c = 0; c < ch; c++)
            W[i] -= .5 * oracle_dist(modes, b, u + c * modes, M + c * modes);
    }
    softmax(o->n, W);
}

/* what P in l is raised by at the state u [n] */
FD_NOFMA_FN static double oracle_floor(ptrdiff_t n, const fd_real *u)
{
    FD_NOFMA
    double eps = 4 * REAL_EPS, sum = 0;
    for (ptrdiff_t j = 0; j < n; j++) sum += (double)u[j] * u[j];
    return sum * (eps * eps);
}

/* One function in modes: state u, dy (ORACLE_VJP) and out [ch][modes]; out may be u or dy.
 * work: W [n], D and R [ch][modes]. */
FD_NOFMA_FN static void oracle_one(const oracle *o, int what, double t, const fd_real *u,
                                   const fd_real *dy, fd_real *out, oracle_tab *b, double *work)
{
    FD_NOFMA
    ptrdiff_t modes = o->e.p.noise->s.modes, n = o->e.p.noise->s.ch * modes;
    double *W = work, *D = W + o->n, *R = D + n, floor = o->n > 1 ? oracle_floor(n, u) : 0;
    oracle_weights(o, b, t, floor, u, W);
    for (ptrdiff_t j = 0; j < n; j++) D[j] = R[j] = 0;
    for (int i = 0; i < o->n; i++) {
        const fd_real *M = o->M + i * n;
        if (W[i] == 0) continue;
        oracle_table(o, b, i, t, floor);
        for (ptrdiff_t j = 0; j < n; j += modes)
            for (ptrdiff_t k = 0; k < modes; k++)
                D[j + k] += W[i] * (b->g[k] * u[j + k] + b->h[k] * M[j + k]);
    }
    for (int i = 0; i < o->n && what != ORACLE_EVAL; i++) {
        const fd_real *M = o->M + i * n;
        double dot = 0;                                               /* <dy, D_i - D> */
        if (W[i] == 0) continue;
        oracle_table(o, b, i, t, floor);
        for (ptrdiff_t j = 0; j < n && what == ORACLE_VJP; j += modes)
            for (ptrdiff_t k = 0; k < modes; k++)
                dot += dy[j + k] * (b->g[k] * u[j + k] + b->h[k] * M[j + k] - D[j + k]);
        for (ptrdiff_t j = 0; j < n; j += modes)
            for (ptrdiff_t k = 0; k < modes; k++) {
                double x = u[j + k], y = M[j + k];
                double d = b->g[k] * x + b->h[k] * y - D[j + k];
                R[j + k] += W[i] * (what == ORACLE_VAR ? b->h[k] * (b->c ? b->c[k] : 0) + d * d
                                  : b->g[k] * dy[j + k] - dot * b->ip[k] * (x - b->m[k] * y));
            }
    }
    for (ptrdiff_t j = 0; j < n; j++) out[j] = (fd_real)(what == ORACLE_EVAL ? D[j] : R[j]);
}

/* The transpose of fd_from_modes, and of fd_to_modes. On a grid they are the other transform times
 * 1/h and h, which cancel since the two are used as a pair. */
static void space_pull(const fd_space *s, int b, const fd_real *dx, fd_real *du, fd_arena scratch)
{
    if (!s->basis) fd_to_modes(s, b, dx, du, scratch);
    else fd_gemm(0, 1, b * s->ch, (int)s->modes, (int)s->points, 1, dx, (int)s->points,
                 s->basis, (int)s->points, 0, du, (int)s->modes, scratch);
}

static void space_push(const fd_space *s, int b, const fd_real *du, fd_real *dx, fd_arena scratch)
{
    fd_from_modes(s, b, du, dx, scratch);
    for (ptrdiff_t i = 0; i < b * fd_size(s) && s->basis; i++) dx[i] *= s->weight[i % s->points];
}

static void oracle_run(const void *self, int what, const fd_space *s, int b, const fd_real *x,
                       const double *t, const fd_real *dy, fd_real *y, fd_arena scratch)
{
    const oracle *o = self;
    ptrdiff_t n = s->ch * s->modes, points = fd_size(s), modes = s->modes;
    if (!space_fits(scratch.st, "fd_oracle", s, &o->e.p.noise->s)) return;
    if (o->ratio >= 0 && what != ORACLE_VAR) {
        for (int i = 0; i < b; i++) {
            double g, h;
            oracle_gain(oracle_law(o, t[i], 0), 1, o->ratio, 0, &g, &h);
            lin_row(points, what == ORACLE_EVAL ? 2 : 1, (fd_real[3]){ (fd_real)g, (fd_real)h },
                    INPUTS((what == ORACLE_EVAL ? x : dy) + i * points, o->mean),
                    y + i * points);
        }
        return;
    }
    int threads = threads_most();
    fd_real *u = fd_raw(&scratch, fd_real, b * n);
    fd_real *w = what == ORACLE_VJP ? fd_raw(&scratch, fd_real, b * n) : what == ORACLE_VAR ? y : u;
    oracle_tab *tab = fd_new(&scratch, oracle_tab, threads);
    ptrdiff_t each = 4 * modes + o->n + 2 * n;
    double *work = fd_raw(&scratch, double, threads * each);
    if (!work) return;
    for (int i = 0; i < threads; i++) {
        double *d = work + i * each;
        tab[i].g = d, tab[i].h = d + modes, tab[i].m = d + 2 * modes, tab[i].ip = d + 3 * modes;
    }
    fd_to_modes(s, b, x, u, scratch);
    if (what == ORACLE_VJP) space_pull(s, b, dy, w, scratch);
    if (scratch.st->code) return;
    if ((double)b * o->n * n < LIN_BLOCK) {
        for (int i = 0; i < b; i++)
            oracle_one(o, what, t[i], u + i * n, w + i * n, w + i * n, tab, work + 4 * modes);
    } else {
        FD_PARALLEL
        for (int i = 0; i < b; i++)
            oracle_one(o, what, t[i], u + i * n, w + i * n, w + i * n, &tab[threads_this()],
                       work + threads_this() * each + 4 * modes);
    }
    if (what == ORACLE_EVAL) fd_from_modes(s, b, u, y, scratch);
    if (what == ORACLE_VJP) space_push(s, b, w, y, scratch);
}

static void exact_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena scratch)
{
    ((const exact *)self)->run(self, ORACLE_EVAL, s, b, x, t, NULL, y, scratch);
}

static void exact_vjp(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *t, const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    ((const exact *)self)->run(self, ORACLE_VJP, s, b, x, t, dy, dx, scratch);
}

static void exact_var(const void *self, const fd_space *s, int b, const fd_real *x,
                      const double *t, fd_real *w, fd_arena scratch)
{
    ((const exact *)self)->run(self, ORACLE_VAR, s, b, x, t, NULL, w, scratch);
}

/* c/lam where it is one number and the modes span all points, else -1; c = 0 is 0 times anything */
static double oracle_ratio(const fd_cov *noise, const double *c)
{
    ptrdiff_t zeros = 0, same = 0, n = noise->s.modes;
    if (n != noise->s.points) return -1;
    double ratio = c ? c[0] / noise->lam[0] : 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        zeros += !c || c[k] == 0;
        same += c && noise->lam[k] > 0
             && fabs(c[k] / noise->lam[k] - ratio) <= 4 * DBL_EPSILON * ratio;
    }
    return zeros == n ? 0 : same == n ? ratio : -1;
}

/* Where all means have the same coefficient to rounding they get the same one. Otherwise rounding
 * of the transform, divided by a small P in thousands of modes, would decide the odds. */
static void oracle_round(int n, ptrdiff_t modes, ptrdiff_t ch, fd_real *M)
{
    double eps = REAL_EPS, top = 0;
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (ptrdiff_t j = i * ch * modes; j < (i + 1) * ch * modes; j++)
            sum += (double)M[j] * M[j];
        top = fmax(top, sum);
    }
    for (ptrdiff_t j = 0; j < ch * modes; j++) {
        double lo = M[j], hi = M[j];
        for (int i = 1; i < n; i++) {
            double x = M[i * ch * modes + j];
            lo = fmin(lo, x), hi = fmax(hi, x);
        }
        for (int i = 0; i < n && hi - lo <= 2 * eps * sqrt(top); i++)
            M[i * ch * modes + j] = (fd_real)(.5 * (lo + hi));
    }
}

/* the components of a mixture, as in oracle */
typedef struct { int n; double *logw; const double **c; double *low; fd_real *M; } mix;

/* the components of x in the modes of s; an empty mix where it failed */
static mix mix_new(fd_arena *a, const char *where, const fd_space *s, const fd_mix *x)
{
    fd_status *st = a->st;
    mix r = { x->n, NULL, NULL, NULL, NULL };
    double sum = 0;
    if (x->n < 1) FD_FAIL(st, FD_EARG, where, "needs components; components", x->n);
    for (int i = 0; i < x->n; i++) {
        if (x->c && (!x->c[i] || !space_same(&x->c[i]->s, s)))
            FD_FAIL(st, FD_ESHAPE, where, "data and noise have different modes; component", i);
        if (x->w && !(x->w[i] >= 0 && x->w[i] < INFINITY))
            FD_FAIL(st, FD_EDATA, where, "a weight is negative or not finite", i);
        sum += x->w ? x->w[i] : 1;
    }
    if (!(sum > 0)) FD_FAIL(st, FD_EDATA, where, "all weights are 0");
    if (st->code) return r;
    r.logw = fd_new(a, double, x->n);
    r.low = fd_new(a, double, s->modes);
    r.c = fd_new(a, const double *, x->n);
    r.M = fd_new(a, fd_real, (size_t)x->n * (size_t)(s->ch * s->modes));
    if (!r.M) return r;
    if (x->mean) fd_to_modes(s, x->n, x->mean, r.M, *a);
    if (x->n > 1) oracle_round(x->n, s->modes, s->ch, r.M);
    for (int i = 0; i < x->n; i++) {
        r.logw[i] = log((x->w ? x->w[i] : 1) / sum);
        r.c[i] = x->c ? x->c[i]->lam : NULL;
        for (ptrdiff_t k = 0; k < s->modes && x->c; k++)
            if (i == 0 || r.c[i][k] < r.low[k]) r.low[k] = r.c[i][k];
    }
    return r;
}

static fd_model oracle_new(fd_arena *a, const char *where, const fd_process *p, int n,
                           const double *w, const fd_real *means, const fd_cov *const c[])
{
    if (!proc_ready(where, p, a->st)) return (fd_model){ 0 };
    const fd_space *s = &p->noise->s;
    mix x = mix_new(a, where, s, &(fd_mix){ n, w, means, c });
    oracle *o = fd_new(a, oracle, 1);
    fd_real *mean = fd_new(a, fd_real, n == 1 ? fd_size(s) : 0);
    double *mu = p->modal ? proc_args(p, a) : NULL;
    if (a->st->code) return (fd_model){ 0 };
    if (n == 1 && means) memcpy(mean, means, (size_t)fd_size(s) * sizeof *mean);
    *o = (oracle){ { oracle_run, *p }, n, x.logw, x.c, x.low, mu, x.M, mean,
                   n == 1 && !p->modal ? oracle_ratio(p->noise, x.c[0]) : -1 };
    return (fd_model){ FD_X0, exact_eval, exact_vjp, exact_var, o, NULL };
}

fd_model fd_oracle_gauss(fd_arena *a, const fd_process *p, const fd_real *mean, const fd_cov *c0)
{
    return oracle_new(a, __func__, p, 1, NULL, mean, &c0);
}

fd_model fd_oracle_mix(fd_arena *a, const fd_process *p, int n, const double *w,
                       const fd_real *means, const fd_cov *const c[])
{
    return oracle_new(a, __func__, p, n, w, means, c);
}

fd_model fd_oracle_data(fd_arena *a, const fd_process *p, int n, const fd_real *x)
{
    return oracle_new(a, __func__, p, n, NULL, x, NULL);
}

/* --- Data whose covariance has other modes than the noise ---
 *
 * With K_jk = <e_j, c0 e_k> for each channel, m and v diagonal, Q = m K m + v lam,
 *
 *     D = M + K m Q^-1 (x - m M),    J^T dy = Q^-1 m K dy,    Var = diag(K - K m Q^-1 m K)
 *
 * Q is factored at each time; lam and K, which may both be nearly singular, are not inverted. */

typedef struct { exact e; double *K, *mu; fd_real *M; } full;

/* Q = L L^T at t, and m [modes]. Where Q_kk = 0 the state says nothing of the mode; K m is 0 there,
 * too, so Q_kk = 1 does no harm. Returns the code of a failure. */
static int full_factor(const full *o, double t, double *L, double *m, fd_status *st)
{
    const fd_process *p = &o->e.p;
    ptrdiff_t n = p->noise->s.modes;
    for (ptrdiff_t k = 0; k < n; k++) {
        fd_coef f = p->law(p, t, o->mu[k]);
        m[k] = f.m;
        for (ptrdiff_t j = 0; j <= k; j++) L[k * n + j] = m[k] * o->K[k * n + j] * m[j];
        L[k * n + k] += f.v * p->noise->lam[k];
        if (!(L[k * n + k] > 0)) L[k * n + k] = 1;
    }
    return fd_cholesky(st, (int)n, L);
}

/* y = K z */
static void full_times(const full *o, const double *z, double *y)
{
    ptrdiff_t n = o->e.p.noise->s.modes;
    for (ptrdiff_t k = 0; k < n; k++) {
        y[k] = 0;
        for (ptrdiff_t j = 0; j < n; j++) y[k] += o->K[k * n + j] * z[j];
    }
}

static void full_run(const void *self, int what, const fd_space *s, int b, const fd_real *x,
                     const double *t, const fd_real *dy, fd_real *y, fd_arena scratch)
{
    const full *o = self;
    fd_status *st = scratch.st;
    ptrdiff_t n = s->modes, all = s->ch * n;
    if (!space_fits(st, "fd_oracle_kernel", s, &o->e.p.noise->s)) return;
    fd_real *u = what == ORACLE_VAR ? y : fd_raw(&scratch, fd_real, b * all);
    double *L = fd_raw(&scratch, double, n * n), *m = fd_raw(&scratch, double, 3 * n);
    if (!u || !m) return;
    double *z = m + n, *w = m + 2 * n;
    if (what == ORACLE_EVAL) fd_to_modes(s, b, x, u, scratch);
    if (what == ORACLE_VJP) space_pull(s, b, dy, u, scratch);
    for (ptrdiff_t i = 0; i < b * s->ch && !st->code; i++) {
        double now = t[i / s->ch];
        const fd_real *M = o->M + i % s->ch * n;
        fd_real *ui = u + i * n;
        int same = i > 0 && now == t[(i - 1) / s->ch];
        if (!same && full_factor(o, now, L, m, st)) return;
        if (what == ORACLE_VAR && same) { memcpy(ui, ui - n, (size_t)n * sizeof *ui); continue; }
        for (ptrdiff_t k = 0; k < n && what == ORACLE_VAR; k++) {         /* |L^-1 m K_k|^2 */
            double sum = o->K[k * n + k];
            for (ptrdiff_t j = 0; j < n; j++) z[j] = m[j] * o->K[k * n + j];
            fd_solve_lower((int)n, L, 0, z);
            for (ptrdiff_t j = 0; j < n; j++) sum -= z[j] * z[j];
            ui[k] = (fd_real)fmax(0, sum);
        }
        if (what == ORACLE_VAR) continue;
        for (ptrdiff_t k = 0; k < n; k++) w[k] = what == ORACLE_EVAL ? ui[k] - m[k] * M[k] : ui[k];
        if (what == ORACLE_VJP) full_times(o, w, z);
        for (ptrdiff_t k = 0; k < n; k++) z[k] = what == ORACLE_EVAL ? w[k] : m[k] * z[k];
        fd_solve_lower((int)n, L, 0, z);
        fd_solve_lower((int)n, L, 1, z);
        for (ptrdiff_t k = 0; k < n && what == ORACLE_EVAL; k++) z[k] *= m[k];
        if (what == ORACLE_EVAL) full_times(o, z, w);
        for (ptrdiff_t k = 0; k < n; k++)
            ui[k] = (fd_real)(what == ORACLE_EVAL ? M[k] + w[k] : z[k]);
    }
    if (what == ORACLE_EVAL) fd_from_modes(s, b, u, y, scratch);
    if (what == ORACLE_VJP) space_push(s, b, u, y, scratch);
}

fd_model fd_oracle_kernel(fd_arena *a, const fd_process *p, const fd_real *mean, const fd_cov *c0)
{
    fd_status *st = a->st;
    if (!c0 || !proc_ready(__func__, p, st)) return (fd_model){ 0 };
    const fd_space *s = &p->noise->s;
    ptrdiff_t n = s->modes, l = c0->s.modes, points = s->points;
    if (c0->s.points != points || c0->s.ch != s->ch)
        return FD_FAIL(st, FD_ESHAPE, __func__, "data and noise have different points",
                       c0->s.points, points), (fd_model){ 0 };
    full *o = fd_new(a, full, 1);
    double *K = fd_new(a, double, n * n), *mu = proc_args(p, a);
    fd_real *M = fd_new(a, fd_real, s->ch * n);
    if (mean) fd_to_modes(s, 1, mean, M, *a);
    fd_arena scratch = *a;
    fd_space one = *s, own = c0->s;
    one.ch = own.ch = 1;
    fd_real *f = fd_new(&scratch, fd_real, l * l), *g = fd_raw(&scratch, fd_real, l * points);
    fd_real *B = fd_raw(&scratch, fd_real, l * n);
    for (ptrdiff_t i = 0; i < l && B; i++) f[i * l + i] = (fd_real)sqrt(c0->lam[i]);
    fd_from_modes(&own, (int)l, f, g, scratch);
    fd_to_modes(&one, (int)l, g, B, scratch);         /* row i: sqrt(c_i) times mode i of c0 */
    if (st->code) return (fd_model){ 0 };
    for (ptrdiff_t i = 0; i < l; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            for (ptrdiff_t k = 0; k < n; k++) K[j * n + k] += (double)B[i * n + j] * B[i * n + k];
    double eps = REAL_EPS, trace = 0;
    for (ptrdiff_t k = 0; k < n; k++) trace += K[k * n + k];
    for (ptrdiff_t k = 0; k < n; k++)                 /* no noise, and no data beyond rounding */
        if (p->noise->lam[k] == 0 && K[k * n + k] <= 64 * eps * eps * trace)
            for (ptrdiff_t j = 0; j < n; j++) K[k * n + j] = K[j * n + k] = 0;
    *o = (full){ { full_run, *p }, K, mu, M };
    return (fd_model){ FD_X0, exact_eval, exact_vjp, exact_var, o, NULL };
}

/* --- Preconditioning --- */

struct fd_precond { fd_model gauss; const fd_real *mean; double volume; };
typedef struct { const fd_precond *w; fd_model raw; } precond_model;

/* the sum of all weights */
static double space_volume(const fd_space *s)
{
    double sum = s->basis ? 0 : s->h * (double)s->points;
    for (ptrdiff_t i = 0; i < s->points && s->basis; i++) sum += (double)s->weight[i];
    return sum;
}

fd_precond *fd_precond_new(fd_arena *a, const fd_process *p, const fd_real *mean, const fd_cov *c0)
{
    fd_model g = fd_oracle_gauss(a, p, mean, c0);
    fd_precond *w = fd_new(a, fd_precond, 1);
    if (!w) return NULL;
    const fd_space *s = &p->noise->s;
    fd_real *copy = fd_new(a, fd_real, fd_size(s));
    if (!copy) return NULL;
    if (mean) memcpy(copy, mean, (size_t)fd_size(s) * sizeof *copy);
    *w = (fd_precond){ g, copy, space_volume(s) };
    return w;
}

/* Variances of the modes have the mean over pixels sum_k/volume, since e_k^2 integrates to 1.
 * G - mean has the variance g^2 P = g m c, with g = c m/P: c_skip of
 * [EDM eqs. 123, 131; table 1]. */
void fd_precond_scale(const fd_precond *w, double t, double *cin, double *cout)
{
    double in = 0, out = 0;
    *cin = *cout = 0;
    if (!w) return;
    const oracle *o = w->gauss.self;
    const double *lam = o->e.p.noise->lam, *c = o->c[0];
    fd_coef f = oracle_law(o, t, 0);
    double least = oracle_least(&o->e.p, o->mu, t, c);
    for (ptrdiff_t k = 0; k < o->e.p.noise->s.modes; k++) {
        double g, h;
        if (o->mu) f = oracle_law(o, t, k);
        oracle_gain(f, lam[k], c[k], least, &g, &h);
        in += g * f.m * c[k];
        out += h * c[k];
    }
    *cin = in > 0 ? sqrt(w->volume / in) : 0;
    *cout = sqrt(out / w->volume);
}

/* g = G and in = cin (G - mean) for b functions */
static void precond_in(const fd_precond *w, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *g, fd_real *in, fd_arena scratch)
{
    ptrdiff_t n = fd_size(s);
    w->gauss.eval(w->gauss.self, s, b, x, t, g, scratch);             /* also checks the space */
    for (int i = 0; i < b && !scratch.st->code; i++) {
        double cin, cout;
        fd_precond_scale(w, t[i], &cin, &cout);
        lin_row(n, 2, (fd_real[3]){ (fd_real)cin, -(fd_real)cin },
                INPUTS(g + i * n, w->mean), in + i * n);
    }
}

/* in = cin (G - mean), y = (x0 - G)/cout [EDM eq. 8] */
void fd_precond_pair(const fd_precond *w, int b, const fd_real *x0, const fd_real *xt,
                     const double *t, fd_real *in, fd_real *y, fd_arena scratch)
{
    if (scratch.st->code || !w) return;
    const fd_space *s = &((const exact *)w->gauss.self)->p.noise->s;
    ptrdiff_t n = fd_size(s);
    fd_real *g = fd_raw(&scratch, fd_real, b * n), *c = fd_new(&scratch, fd_real, (size_t)b * 3);
    if (!c) return;
    for (int i = 0; i < b; i++) {
        double cin, cout;
        fd_precond_scale(w, t[i], &cin, &cout);
        c[i * 3] = (fd_real)(1 / cout), c[i * 3 + 1] = -c[i * 3];
        if (!isfinite(c[i * 3]))
            FD_FAIL(scratch.st, FD_EARG, __func__,
                    "x0 is known at this t: there is no target; function", i);
    }
    precond_in(w, s, b, xt, t, g, in, scratch);
    if (!scratch.st->code) lin_batch(b, n, 2, c, INPUTS(x0, g), y);
}

static void precond_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                         const double *t, fd_real *y, fd_arena scratch)
{
    const precond_model *pm = self;
    ptrdiff_t n = fd_size(s);
    fd_real *in = fd_raw(&scratch, fd_real, b * n), *F = fd_raw(&scratch, fd_real, b * n);
    if (!F) return;
    precond_in(pm->w, s, b, x, t, y, in, scratch);
    if (scratch.st->code) return;
    pm->raw.eval(pm->raw.self, s, b, in, t, F, scratch);
    for (int i = 0; i < b; i++) {
        double cin, cout;
        fd_precond_scale(pm->w, t[i], &cin, &cout);
        lin_row(n, 2, (fd_real[3]){ 1, (fd_real)cout }, INPUTS(y + i * n, F + i * n), y + i * n);
    }
}

/* The raw model says F and asks for dF; D = G + cout F goes on to whoever asked for D. */
typedef struct {
    const fd_precond *w;
    const double *t;
    const fd_real *g;
    fd_real *dy;                       /* of all functions */
    ptrdiff_t n;
    fd_ask *ask;
    void *of;
} precond_asked;

static void precond_ask(void *of, int first, int b, const fd_real *F, fd_real *dF, fd_arena scratch)
{
    const precond_asked *q = of;
    fd_real *y = fd_raw(&scratch, fd_real, b * q->n), *dy = q->dy + first * q->n;
    if (!y) return;
    for (int i = 0; i < b; i++) {
        double cin, cout;
        fd_precond_scale(q->w, q->t[first + i], &cin, &cout);
        lin_row(q->n, 2, (fd_real[3]){ 1, (fd_real)cout },
                INPUTS(q->g + (first + i) * q->n, F + i * q->n), y + i * q->n);
    }
    q->ask(q->of, first, b, y, dy, scratch);
    memcpy(dF, dy, (size_t)(b * q->n) * sizeof *dF);
}

/* dx by the transpose of dD/dx = (1 + cout cin dF/din) dG/dx, of dy, or if NULL what ask says */
static void precond_slope(const precond_model *pm, const fd_space *s, int b, const fd_real *x,
                          const double *t, const fd_real *dy, fd_ask *ask, void *of, fd_real *dx,
                          fd_arena scratch)
{
    const fd_precond *w = pm->w;
    ptrdiff_t n = fd_size(s);
    fd_real *in = fd_raw(&scratch, fd_real, b * n), *g = fd_raw(&scratch, fd_real, b * n);
    fd_real *own = fd_raw(&scratch, fd_real, dy ? 0 : b * n);
    fd_real *din = fd_raw(&scratch, fd_real, b * n);
    if (!din) return;
    precond_in(w, s, b, x, t, g, in, scratch);
    if (scratch.st->code) return;
    if (dy) pm->raw.vjp(pm->raw.self, s, b, in, t, dy, din, scratch);
    else pm->raw.pull(pm->raw.self, s, b, in, t, precond_ask,
                      &(precond_asked){ w, t, g, own, n, ask, of }, din, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        double cin, cout;
        fd_precond_scale(w, t[i], &cin, &cout);
        lin_row(n, 2, (fd_real[3]){ 1, (fd_real)(cin * cout) },
                INPUTS((dy ? dy : own) + i * n, din + i * n), g + i * n);
    }
    w->gauss.vjp(w->gauss.self, s, b, x, t, g, dx, scratch);
}

static void precond_vjp(const void *self, const fd_space *s, int b, const fd_real *x,
                        const double *t, const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    precond_slope(self, s, b, x, t, dy, NULL, NULL, dx, scratch);
}

static void precond_pull(const void *self, const fd_space *s, int b, const fd_real *x,
                         const double *t, fd_ask *ask, void *of, fd_real *dx, fd_arena scratch)
{
    precond_slope(self, s, b, x, t, NULL, ask, of, dx, scratch);
}

fd_model fd_precond_model(fd_arena *a, const fd_precond *w, fd_model raw)
{
    precond_model *pm = fd_new(a, precond_model, 1);
    if (!pm || !w) return (fd_model){ 0 };
    if (!raw.eval)
        return FD_FAIL(a->st, FD_EARG, __func__, "the raw model is empty"), (fd_model){ 0 };
    *pm = (precond_model){ w, raw };
    return (fd_model){ FD_X0, precond_eval, raw.vjp ? precond_vjp : NULL, NULL, pm,
                       raw.pull ? precond_pull : NULL };
}

/* ---- Training pairs -------------------------------------------------------------------------- *
 *
 * x_t = m x0 + s eps; targets al x0 + be eps of the same pairs (al, be) as the predictions. With
 * d = al - be m/s the error of a prediction is d times that of D: weights are ratios of d^2. */

/* m x0 + s eps */
static const char *pair_noise(const void *ctx, const fd_process *p, double t, double mu,
                              double r[3])
{
    fd_coef c = p->law(p, t, mu);
    (void)ctx;
    r[0] = c.m, r[1] = sqrt(c.v);                                     /* [DDIM eq. 4] */
    return NULL;
}

/* al x0 + be eps of the kind ctx */
static const char *pair_target(const void *ctx, const fd_process *p, double t, double mu,
                               double r[3])
{
    conv_pair(p->law(p, t, mu), *(const int *)ctx, &r[0], &r[1]);
    return isfinite(r[1]) ? NULL : "this kind of target does not exist where v = 0";
}

void fd_perturb(const fd_process *p, fd_rng r, int first, int b, const fd_real *x0, const double *t,
                fd_real *xt, fd_real *eps, fd_arena scratch)
{
    if (!proc_ready(__func__, p, scratch.st)) return;
    if (!eps) eps = fd_raw(&scratch, fd_real, b * fd_size(&p->noise->s));
    if (!eps) return;
    fd_cov_draw(p->noise, r, first, b, eps, scratch);
    lin_apply(__func__, p, b, t, pair_noise, NULL, 2, INPUTS(x0, eps), xt, scratch);
}

void fd_target(const fd_process *p, int predicts, int b, const fd_real *x0, const fd_real *eps,
               const double *t, fd_real *y, fd_arena scratch)
{
    int base = conv_base(predicts);
    if (!conv_known(scratch.st, __func__, predicts) || !proc_ready(__func__, p, scratch.st)) return;
    lin_apply(__func__, p, b, t, pair_target, &base, 2, INPUTS(x0, eps), y, scratch);
    if (base != predicts) fd_cov_pow(p->noise, -conv_power(predicts), b, y, y, scratch);
}

/* d^2 of a kind */
static double weight_d2(fd_coef c, int kind)
{
    double al, be;
    conv_pair(c, kind, &al, &be);
    al -= be == 0 ? 0 : be * c.m / sqrt(c.v);
    return al * al;
}

double fd_time_weight(const fd_process *p, int rule, int predicts, double t, fd_status *st)
{
    static const int as[] = { FD_X0, FD_X0, FD_NOISE, FD_V }; /* kind of a rule [v eq. 9, sec. 4] */
    if (!proc_made(__func__, p, st) || !conv_known(st, __func__, predicts)) return 0;
    if (p->modal || predicts > FD_VELOCITY || rule < FD_W_ONE || rule > FD_W_LIKELIHOOD)
        return FD_FAIL(st, FD_EARG, __func__,
                       "no such rule, or a weight per mode: see fd_loss_weigh", rule), 0;
    if (rule == FD_W_ONE || (rule < FD_W_LIKELIHOOD && as[rule] == predicts)) return 1;
    fd_coef c = p->law(p, t, 0);
    double w = rule < FD_W_LIKELIHOOD ? weight_d2(c, as[rule])
             : .5 * (c.dv * c.m - 2 * c.v * c.dm) * c.m / (c.v * c.v);     /* q m^2/2v^2 */
    w /= weight_d2(c, predicts);
    if (isfinite(w)) return w;
    FD_FAIL(st, FD_EARG, __func__, "no such weight where m = 0 or v = 0; rule, kind", rule,
            predicts);
    return 0;
}

/* element i of r, uniform on (0,1), a double in every build */
static double time_unit(fd_rng r, int i)
{
    uint32_t ctr[4] = { (uint32_t)i, 0, 0, 0 }, out[4];
    fd_philox(r.key, ctr, out);
    uint64_t w = ((uint64_t)out[0] << 32 | out[1]) >> 12;
    return ((double)w + .5) / 4503599627370496.0;                     /* 2^52 */
}

/* t [b]: b <= T of the numbers 1..T, each at most once, in random order. Number i is the u-th of
 * those that are left, with u uniform. */
static void time_levels(fd_rng r, int T, int b, double *t)
{
    for (int i = 0; i < b; i++) {
        int u = fd_index(r, (uint64_t)i, T - i) + 1, level = u, was = 0;
        while (level != was) {
            was = level, level = u;
            for (int j = 0; j < i; j++) level += t[j] <= was;
        }
        t[i] = level;
    }
}

void fd_draw_times(const fd_process *p, int rule, const double prm[2], fd_rng r, int first, int b,
                   double *t, fd_status *st)
{
    if (!proc_made(__func__, p, st)) return;
    double lo = p->tmin, hi = p->tmax, one = time_unit(r, first), mean = -1.2, sd = 1.2;
    int whole = proc_whole(p);
    if (prm) mean = prm[0], sd = prm[1];
    if (rule < FD_T_UNIFORM || rule > FD_T_LEVELS)
        FD_FAIL(st, FD_EARG, __func__, "no such law of times", rule);
    else if (!(lo >= 0 && hi > lo && hi < INFINITY))
        FD_FAIL(st, FD_EARG, __func__, "needs 0 <= tmin < tmax");
    else if (rule == FD_T_LOG && !whole && lo == 0)
        FD_FAIL(st, FD_EARG, __func__, "log-uniform times need tmin > 0");
    else if (rule == FD_T_LOGNORMAL && !(isfinite(mean) && proc_some(sd)))
        FD_FAIL(st, FD_EARG, __func__, "log-normal times need a finite mean and deviation");
    else if (rule == FD_T_LEVELS && !whole)
        FD_FAIL(st, FD_EARG, __func__, "levels are those of a chain or a ladder");
    else if (whole && hi < 1) FD_FAIL(st, FD_EARG, __func__, "a chain needs tmax >= 1");
    if (st->code) return;
    for (int i = 0, T = (int)hi; i < b && rule == FD_T_LEVELS; i += T)
        time_levels(fd_stream(fd_stream(r, 'l', (uint32_t)first), 'l', (uint32_t)(i / T)), T,
                    b - i < T ? b - i : T, t + i);
    if (rule == FD_T_LEVELS) return;
    double low = p->law == proc_law_ladder ? ceil(lo) : floor(lo) + 1;   /* the lowest level */
    for (int i = 0; i < b; i++) {
        double u = rule == FD_T_STRATIFIED ? (i + one) / b : time_unit(r, first + i);
        if (rule == FD_T_LOGNORMAL) {
            float z[4];
            fd_normal4(r, (uint32_t[4]){ (uint32_t)(first + i), 0, 0, 0 }, z);
            t[i] = proc_time(p, mean + sd * (double)z[0]);
            if (whole) t[i] = fmax(ceil(t[i]), low);
        } else if (whole) {                           /* t = k: the step from k to k - 1 */
            double T = floor(hi), at = rule == FD_T_LOG ? floor(low * pow((T + 1) / low, u))
                                                        : ceil(low - 1 + (T + 1 - low) * u);
            t[i] = fmin(fmax(at, low), T);
        } else t[i] = fmin(rule == FD_T_LOG ? lo * pow(hi / lo, u) : lo + (hi - lo) * u, hi);
    }
}

/* --- Norms ---
 *
 * Weights by mode. A residual of a kind is d times that of D, one of C^-p s is lam^-p times that of
 * s. mu is what the law is told, lap the eigenvalue of -Laplacian. */

/* what the weights are of, and what is known of each mode: w is theirs at some time, all [modes] */
typedef struct { const fd_process *p; int norm, kind; double prm, *w, *mu, *lap; } norm_tab;

/* w of mode k; NULL, or why there is none */
static const char *norm_weight(const norm_tab *n, double t, ptrdiff_t k)
{
    const fd_process *p = n->p;
    const int norm = n->norm;
    const double mu = n->mu[k], lam = p->noise->lam[k];
    double *w = &n->w[k], q = 0;
    fd_coef c = { 0 }, s = { 0 };
    if (norm == FD_NORM_STATIONARY || norm >= FD_NORM_LIKELIHOOD) {
        c = p->law(p, t, mu);
        q = c.dv - 2 * c.v * c.dm / c.m;
    }
    if (norm == FD_NORM_STEP) {
        if (!proc_whole(p)) return "this norm is for chains";
        if (t > 1) s = p->law(p, t - 1, mu);
        q = t > 1 ? s.m * s.m / s.v - c.m * c.m / c.v : 1 / c.v;
    }
    *w = norm == FD_NORM_CM ? 1 / lam               /* [KER code, diffusion/loss.py] */
       : norm == FD_NORM_STATIONARY ? -2 * c.dm / (c.m * q * lam)
       : norm == FD_NORM_SOBOLEV ? pow(1 + n->lap[k], n->prm)
       : norm == FD_NORM_LIKELIHOOD ? .5 * q * c.m * c.m / (c.v * c.v * lam)
           / weight_d2(c, conv_base(n->kind))
       : norm == FD_NORM_STEP ? .5 * q / lam / weight_d2(c, conv_base(n->kind))
       : 1;                                              /* [DDPM eqs. 8-10, 12; DDPO eq. 1] */
    if (lam == 0 && norm != FD_NORM_H && norm != FD_NORM_SOBOLEV) *w = 0;
    if (conv_power(n->kind) > 0) *w *= pow(lam, 2 * conv_power(n->kind));
    return isfinite(*w) && *w >= 0 ? NULL : "no such weight at this t: m, v or q is 0";
}

/* w of all modes at t; 1 where there are some */
static int norm_weights(const char *where, const norm_tab *n, double t, fd_status *st)
{
    const char *why = NULL;
    for (ptrdiff_t k = 0; k < n->p->noise->s.modes && !why; k++) why = norm_weight(n, t, k);
    if (why) FD_FAIL(st, FD_EARG, where, why);
    return !why;
}

/* the table n, without weights; 0 where there is no noise, no such norm, or no such kind */
static int norm_new(fd_arena *a, const char *where, const fd_process *p, int norm, double prm,
                    int kind, norm_tab *n)
{
    if (!proc_ready(where, p, a->st) || !conv_known(a->st, where, kind)) return 0;
    if (norm < FD_NORM_H || norm > FD_NORM_STEP)
        return FD_FAIL(a->st, FD_EARG, where, "no such norm", norm), 0;
    *n = (norm_tab){ p, norm, kind, prm, fd_raw(a, double, p->noise->s.modes), NULL, NULL };
    n->mu = proc_args(p, a);
    if (norm == FD_NORM_SOBOLEV) n->lap = fd_raw(a, double, p->noise->s.modes);
    if (n->lap) fd_laplace(&p->noise->s, n->lap, *a);
    return !a->st->code;
}

void fd_loss_weigh(const fd_process *p, int norm, double prm, int predicts, int b, const double *t,
                   fd_real *x, fd_arena scratch)
{
    norm_tab w;
    if (!norm_new(&scratch, __func__, p, norm, prm, predicts, &w)) return;
    const fd_space *s = &p->noise->s;
    ptrdiff_t modes = s->modes, n = s->ch * modes;
    fd_real *u = fd_raw(&scratch, fd_real, b * n);
    fd_to_modes(s, b, x, u, scratch);
    if (scratch.st->code) return;
    for (int i = 0; i < b; i++) {
        if ((i == 0 || t[i] != t[i - 1]) && !norm_weights(__func__, &w, t[i], scratch.st)) return;
        for (ptrdiff_t j = 0; j < n; j++) u[i * n + j] *= (fd_real)sqrt(w.w[j % modes]);
    }
    fd_from_modes(s, b, u, x, scratch);
}

fd_cov *fd_loss_norm(fd_arena *a, const fd_process *p, int norm, double prm, int predicts, double t)
{
    norm_tab w;
    int j[3];
    if (!proc_ready(__func__, p, a->st)) return NULL;
    fd_cov *c = fd_cov_table(a, &p->noise->s, p->noise->lam);
    fd_arena scratch = *a;
    if (!norm_new(&scratch, __func__, p, norm, prm, predicts, &w)
        || !norm_weights(__func__, &w, t, a->st)) return NULL;
    for (ptrdiff_t k = 0; k < p->noise->s.modes; k++)
        c->lam[k] = fd_mode(&p->noise->s, k, j) ? 0 : w.w[k];
    return c;
}

/* The cells lie between times in equal ratios, between squares where tmin = 0, or are the steps. */
fd_time_law *fd_time_law_new(fd_arena *a, const fd_process *p, const fd_cov *c0, int norm,
                             double prm, int predicts)
{
    fd_status *st = a->st;
    norm_tab w;
    if (!proc_ready(__func__, p, st) || !c0) return NULL;
    const fd_space *s = &p->noise->s;
    if (!space_same(s, &c0->s))
        FD_FAIL(st, FD_ESHAPE, __func__, "data and noise have different modes");
    int whole = proc_whole(p), n = whole ? (int)p->tmax : 512;
    fd_time_law *r = fd_new(a, fd_time_law, 1);
    double *t = fd_new(a, double, n + 1), *cdf = fd_new(a, double, n + 1), ch = s->ch;
    fd_arena scratch = *a;
    if (!norm_new(&scratch, __func__, p, norm, prm, predicts, &w)) return NULL;
    for (int i = 0; i <= n; i++) {
        double u = (double)i / n, v = 1 - u;
        t[i] = whole ? i : p->tmin > 0 ? pow(p->tmin, v) * pow(p->tmax, u) : p->tmax * u * u;
    }
    if (!whole) t[0] = p->tmin, t[n] = p->tmax;
    for (int i = 0; i < n; i++) {
        double at = whole ? t[i + 1] : .5 * (t[i] + t[i + 1]), sum = 0, sum2 = 0;
        if (!norm_weights(__func__, &w, at, st)) return NULL;
        for (ptrdiff_t k = 0; k < s->modes; k++) {
            fd_coef c = p->law(p, at, w.mu[k]);
            double lam = p->noise->lam[k], P = c.m * c.m * c0->lam[k] + c.v * lam;
            double d2 = weight_d2(c, conv_base(predicts));
            double F = P > 0 ? w.w[k] * d2 * c0->lam[k] * c.v * lam / P : 0;
            if (conv_power(predicts) > 0) F = lam > 0 ? F / pow(lam, 2 * conv_power(predicts)) : 0;
            sum += F, sum2 += F * F;
        }
        cdf[i + 1] = cdf[i] + sqrt(ch * ch * sum * sum + 2 * ch * sum2) * (t[i + 1] - t[i]);
    }
    if (!(cdf[n] > 0 && isfinite(cdf[n])))
        return FD_FAIL(st, FD_EARG, __func__, "the loss is 0 or not finite"), NULL;
    for (int i = 0; i <= n; i++) cdf[i] /= cdf[n];
    *r = (fd_time_law){ n, whole, t, cdf };
    return r;
}

void fd_time_draw(const fd_time_law *law, fd_rng r, int first, int b, double *t, double *w)
{
    if (!law) return;
    double all = law->t[law->n] - law->t[0];
    for (int i = 0; i < b; i++) {
        double u = time_unit(r, first + i);
        int lo = 0, hi = law->n;                                      /* cdf[lo] <= u < cdf[hi] */
        while (hi - lo > 1) {
            int mid = (lo + hi) / 2;
            if (law->cdf[mid] <= u) lo = mid;
            else hi = mid;
        }
        double mass = law->cdf[hi] - law->cdf[lo], width = law->t[hi] - law->t[lo];
        t[i] = law->whole ? law->t[hi] : law->t[lo] + width * (u - law->cdf[lo]) / mass;
        w[i] = width / all / mass;
    }
}

/* ---- Sampling -------------------------------------------------------------------------------- *
 *
 * The reverse equations, with tau = -t and S = -(x - m D)/v. eta = 0 is the probability-flow ODE,
 * eta = 1 the reverse SDE, any eta the same marginals [SDE eqs. 6, 13; EDM eqs. 4, 6]:
 *
 *     dx/dtau = a x + (1 + eta^2) q S/2 + eta sqrt(q) noise = cx x + cD D + eta sqrt(q) noise
 *     cx = -v'/2v - eta^2 q/2v,    cD = m v'/2v - m' + eta^2 q m/2v
 *
 * In this form nothing is divided by m where eta = 0, so that a flow may start at m = 0. In print
 * signs and clocks are often others: see the errata at the end. */

/* cx, cD and q at c; eta2 is eta^2 */
static void step_drift(fd_coef c, double eta2, double *cx, double *cD, double *q)
{
    double g = .5 * c.dv / c.v;
    *q = eta2 > 0 ? c.dv - 2 * c.v * c.dm / c.m : 0;
    *cx = -g - .5 * eta2 * *q / c.v;
    *cD = c.m * g - c.dm + .5 * eta2 * *q * c.m / c.v;
}

static const struct { const char *name; int noisy; } step_scheme[FD_SCHEMES] = {
    [FD_EULER_MARUYAMA] = { "euler-maruyama", 1 },   [FD_PF_EULER] = { "pf-euler", 0 },
    [FD_ETA_EULER] = { "eta-euler", 1 },             [FD_EXPONENTIAL] = { "exponential", 1 },
    [FD_SEMI_ANALYTIC] = { "semi-analytic", 1 },     [FD_ANCESTRAL] = { "ancestral", 1 },
    [FD_ANCESTRAL_LARGE] = { "ancestral-large", 1 },
    [FD_ANCESTRAL_OPTIMAL] = { "ancestral-optimal", 1 },
    [FD_DDIM] = { "ddim", 1 },                       [FD_VE_PREDICTOR] = { "ve-predictor", 1 },
    [FD_VP_PREDICTOR] = { "vp-predictor", 1 },       [FD_PF_HEUN] = { "pf-heun", 0 },
    [FD_PF_MIDPOINT] = { "pf-midpoint", 0 },         [FD_PF_RK4] = { "pf-rk4", 0 },
    [FD_STOCHASTIC_HEUN] = { "stochastic-heun", 1 }, [FD_PF_MULTISTEP] = { "pf-multistep", 0 },
    [FD_PF_ADAPTIVE] = { "pf-adaptive", 0 },         [FD_ANNEALED] = { "annealed", 0 },
};

const char *fd_scheme_name(int scheme)
{
    return scheme >= 0 && scheme < FD_SCHEMES ? step_scheme[scheme].name : NULL;
}

/* The table of rows; T is the law at t, S that at s. NULL, or why there is no such row. */
static const char *step_make(const fd_process *p, int scheme, double eta, double t, double s,
                             double mu, fd_row *r)
{
    fd_coef T = p->law(p, t, mu), S = p->law(p, s, mu);
    double h = t - s, k = T.m == 0 ? 0 : T.m / S.m, vts = fmax(0, T.v - k * k * S.v);
    double e2 = scheme == FD_EULER_MARUYAMA ? 1 : scheme == FD_PF_EULER ? 0 : eta * eta;
    double cx, cD, q, var = 0;
    *r = (fd_row){ 0, 0, 0, 0 };
    if (!(T.v > 0)) return "v(t) = 0: no noise to remove";
    switch (scheme) {
    case FD_EULER_MARUYAMA:                      /* [SDE eq. 6; Thesis eqs. 2.28, 3.40, 4.25] */
    case FD_PF_EULER:                       /* [SDE eq. 13; DDIM eqs. 14, 15; EDM eq. 1; v eq. 6] */
    case FD_ETA_EULER:                           /* [EDM eq. 6], beta = eta^2 sigma'/sigma */
        if (e2 > 0 && T.m == 0) return "the reverse SDE does not exist where m = 0";
        step_drift(T, e2, &cx, &cD, &q);
        r->ax = 1 + h * cx, r->aD = h * cD, var = e2 * q * h;
        break;
    case FD_EXPONENTIAL: {                            /* G = int_s^t (m_s/m_u) q_u du */
        if (T.m == 0) return "the reverse SDE does not exist where m = 0";
        double G = S.m * proc_integral(p, s, t, mu, 1);
        r->ax = 1 / k - G / T.v, r->aD = G * T.m / T.v, var = vts / (k * k);
        break;
    }
    case FD_SEMI_ANALYTIC:                            /* (x + h q S)/k, S = -(x - m D)/v */
        if (T.m == 0) return "the reverse SDE does not exist where m = 0";
        q = T.dv - 2 * T.v * T.dm / T.m;
        r->ax = (1 - h * q / T.v) / k, r->aD = h * q * T.m / (T.v * k), var = vts / (k * k);
        break;
    case FD_ANCESTRAL:                           /* [DDPM eqs. 6, 7; alg. 2; v eqs. 3, 4] */
    case FD_ANCESTRAL_LARGE:                     /* [DDPM sec. 3.2; v eq. 5] */
    case FD_ANCESTRAL_OPTIMAL:
        r->ax = k * S.v / T.v, r->aD = S.m * vts / T.v;
        var = scheme == FD_ANCESTRAL_LARGE ? vts : S.v * vts / T.v;
        if (scheme == FD_ANCESTRAL_OPTIMAL) r->gain = r->aD;
        break;
    case FD_DDIM:                                /* [DDIM eqs. 7, 10, 12, 13, 16; v eqs. 7, 8] */
        /* m_s D + sqrt(v_s - var) (x - m_t D)/sqrt(v_t) + sqrt(var) xi */
        var = e2 * S.v * vts / T.v;
        if (var > S.v) return "eta is too large: more noise than v(s)";
        r->ax = sqrt((S.v - var) / T.v), r->aD = S.m - T.m * r->ax;
        break;
    case FD_VE_PREDICTOR:                        /* [SDE eqs. 45, 46; alg. 2] */
        if (T.m != 1 || S.m != 1) return "this scheme is for m = 1";
        r->ax = S.v / T.v, r->aD = (T.v - S.v) / T.v, var = T.v - S.v;
        break;
    case FD_VP_PREDICTOR:                        /* [SDE alg. 3; Thesis alg. 2, corrected] */
        if (fabs(T.m * T.m + T.v - 1) > 1e-9) return "this scheme is for v = 1 - m^2";
        if (T.m == 0) return "the reverse SDE does not exist where m = 0";
        var = -2 * h * T.dm / T.m;
        if (var > 1) return "beta_k = 2 a h > 1: the step is too long";
        r->ax = 2 - sqrt(1 - var) - var / T.v, r->aD = var * T.m / T.v;
        break;
    default:
        return "not a one-stage scheme";
    }
    r->sd = sqrt(var);
    return isfinite(r->ax + r->aD + r->sd + r->gain) ? NULL
         : "the step is not finite: m is too small, or no SDE has this m and v";
}

fd_row fd_step_row(const fd_process *p, int scheme, double eta, double t, double s, ptrdiff_t k,
                   fd_status *st)
{
    fd_row r = { 0, 0, 0, 0 };
    if (!proc_made(__func__, p, st)) return r;
    const char *why = !proc_has(p, k) ? "no such mode"
                    : step_make(p, scheme, eta, t, s, proc_arg(p, k), &r);
    if (why) FD_FAIL(st, FD_EARG, __func__, why);
    return why ? (fd_row){ 0, 0, 0, 0 } : r;
}

/* what the rules of a step are told; lo and hi are its ends */
typedef struct { int scheme; double eta, s, lo, hi; } step_ctx;

/* a row of the table as a rule: c of x, D and xi */
static const char *step_row(const void *ctx, const fd_process *p, double t, double mu, double c[3])
{
    const step_ctx *x = ctx;
    fd_row r;
    const char *why = step_make(p, x->scheme, x->eta, t, x->s, mu, &r);
    c[0] = r.ax, c[1] = r.aD;
    c[2] = x->scheme == FD_ANCESTRAL_OPTIMAL ? 1 : r.sd;              /* see step_optimal */
    return why;
}

/* dx/dtau at a stage, without noise */
static const char *step_slope(const void *ctx, const fd_process *p, double t, double mu,
                              double c[3])
{
    const step_ctx *x = ctx;
    fd_coef f = proc_inside(p, t, mu, x->lo, x->hi);
    if (!(f.v > 0)) return "v = 0 inside a step";
    if (x->eta > 0 && f.m == 0) return "the reverse SDE does not exist where m = 0";
    step_drift(f, x->eta * x->eta, &c[0], &c[1], &c[2]);
    return NULL;
}

/* dB = sqrt(int_s^t q) xi */
static const char *step_kick(const void *ctx, const fd_process *p, double t, double mu, double c[3])
{
    c[0] = sqrt(proc_integral(p, ((const step_ctx *)ctx)->s, t, mu, 0));
    return NULL;
}

/* sqrt(v) xi */
static const char *step_start(const void *ctx, const fd_process *p, double t, double mu,
                              double c[3])
{
    (void)ctx;
    c[0] = sqrt(p->law(p, t, mu).v);
    return NULL;
}

/* pf-multistep is DDIM on D + (D - D_prev) l/(2 l_prev), l the step of log s/m, l_prev the one
 * before. Where either is infinite there is no slope in it, and DDIM is left. */
typedef struct { double s, prev; } step_two;

static const char *step_multistep(const void *ctx, const fd_process *p, double t, double mu,
                                  double c[3])
{
    const step_two *x = ctx;
    fd_row r;
    const char *why = step_make(p, FD_DDIM, 0, t, x->s, mu, &r);
    double l = proc_logsigma(p, t, mu), next = proc_logsigma(p, x->s, mu);
    double last = proc_logsigma(p, x->prev, mu);
    double w = isfinite(l + next + last) ? .5 * (next - l) / (l - last) : 0;
    c[0] = r.ax, c[1] = r.aD * (1 + w), c[2] = -r.aD * w;             /* [DPM-Solver++ alg. 2] */
    return why;
}

/* z = (sd^2 + gain^2 Var(x0|x)/lam)^1/2 xi, in modes. Where lam = 0 there is no xi, no noise. */
static void step_optimal(const fd_sampler *how, double t, double s, int b, const fd_real *x,
                         const fd_real *xi, const double *tb, fd_real *z, fd_arena scratch)
{
    const fd_process *p = how->p;
    const fd_space *sp = &p->noise->s;
    const double *lam = p->noise->lam;
    ptrdiff_t n = sp->ch * sp->modes;
    fd_real *var = fd_raw(&scratch, fd_real, b * n), *u = fd_raw(&scratch, fd_real, b * n);
    double *mu = proc_args(p, &scratch);
    if (!mu) return;
    how->model.var(how->model.self, sp, b, x, tb, var, scratch);
    fd_to_modes(sp, b, xi, u, scratch);
    if (scratch.st->code) return;
    fd_row r = { 0, 0, 0, 0 };
    for (ptrdiff_t k = 0; k < sp->modes; k++) {
        const char *why = k == 0 || p->modal ? step_make(p, how->scheme, 0, t, s, mu[k], &r) : NULL;
        if (why) { FD_FAIL(scratch.st, FD_EARG, "fd_advance", why); return; }
        double s2 = r.sd * r.sd, g2 = lam[k] > 0 ? r.gain * r.gain / lam[k] : 0;
        for (ptrdiff_t j = k; j < b * n; j += sp->modes)
            u[j] *= (fd_real)(lam[k] > 0 ? sqrt(s2 + g2 * var[j]) : 0);
    }
    fd_from_modes(sp, b, u, z, scratch);
}

/* y = sum_j c_j in_j over a whole batch */
static void step_sum(ptrdiff_t n, int nin, double c0, const fd_real *x0, double c1,
                     const fd_real *x1, double c2, const fd_real *x2, fd_real *y)
{
    fd_real c[3] = { (fd_real)c0, (fd_real)c1, (fd_real)c2 };
    lin_batch(1, n, nin, c, INPUTS(x0, x1, x2), y);
}

/* Explicit Runge-Kutta schemes in which stage i starts from the slope of stage i-1 alone:
 *
 *     k_i = F(x + node_i h k_i-1 + dB, t - node_i h),    x' = x + h sum w_i k_i + dB
 *
 * with the same dB in both (stochastic Heun, whose only such stage has node 1). Where v(s) = 0 a
 * slope at s does not exist, and the scheme of `end` takes the step. */
static const struct { int scheme, stages, end; double eta, node[4], w[4]; } step_stages[] = {
    { FD_PF_HEUN, 2, FD_PF_EULER, 0, { 0, 1 }, { .5, .5 } },          /* [EDM alg. 1] */
    { FD_PF_MIDPOINT, 2, FD_PF_MIDPOINT, 0, { 0, .5 }, { 0, 1 } },
    { FD_PF_RK4, 4, FD_PF_MIDPOINT, 0, { 0, .5, .5, 1 }, { 1. / 6, 1. / 3, 1. / 3, 1. / 6 } },
    { FD_STOCHASTIC_HEUN, 2, FD_EULER_MARUYAMA, 1, { 0, 1 }, { .5, .5 } },
};

/* D of the model; evaluations are counted */
static void step_predict(const fd_sampler *how, int b, const fd_real *x, const double *t,
                         fd_real *d, fd_arena scratch)
{
    if (how->evals) ++*how->evals;
    fd_predict(&how->model, FD_X0, how->p, b, x, t, d, scratch);
}

/* What the change of density along a flow needs: at every stage of a step over [lo, hi] trace_add
 * does sum += weight div F. */
typedef struct {
    int probes;
    double lo, hi;
    const fd_real *z;                 /* [probes][b][ch][points] */
    double *mu, *sum;                 /* [modes], [b] */
} step_trace;
static void trace_add(const fd_sampler *how, step_trace *tr, double weight, int b, const fd_real *x,
                      const double *t, fd_arena scratch);

/* One step by row `row` of step_stages. s > t goes back to the noise, for flows only. */
static void step_multi(const fd_sampler *how, int row, double t, double s, int b, fd_real *x,
                       const fd_real *xi, fd_real *d, double *tb, step_trace *tr, fd_arena scratch)
{
    const fd_process *p = how->p;
    ptrdiff_t n = b * fd_size(&p->noise->s);
    double h = t - s, eta = step_stages[row].eta;
    step_ctx ctx = { 0, eta, s, fmin(s, t), fmax(s, t) };
    fd_real *y = fd_raw(&scratch, fd_real, n), *k = fd_raw(&scratch, fd_real, n);
    fd_real *sum = fd_raw(&scratch, fd_real, n);
    fd_real *dB = eta > 0 && xi ? fd_raw(&scratch, fd_real, n) : NULL;
    if (scratch.st->code) return;
    if (tr) tr->lo = ctx.lo, tr->hi = ctx.hi;
    if (dB) lin_apply("fd_advance", p, b, tb, step_kick, &ctx, 1, INPUTS(xi), dB, scratch);
    for (int i = 0; i < step_stages[row].stages; i++) {
        double node = step_stages[row].node[i], w = step_stages[row].w[i];
        if (i == 0) memcpy(y, x, (size_t)n * sizeof *y);
        else step_sum(n, dB ? 3 : 2, 1, x, node * h, k, 1, dB, y);
        for (int j = 0; j < b; j++) tb[j] = proc_clock(p, t, s, node == 1 ? s : t - node * h);
        step_predict(how, b, y, tb, d, scratch);
        if (tr && w != 0) trace_add(how, tr, h * w, b, y, tb, scratch);
        lin_apply("fd_advance", p, b, tb, step_slope, &ctx, 2, INPUTS(y, d), k, scratch);
        if (scratch.st->code) return;
        step_sum(n, i ? 2 : 1, i ? 1 : w, i ? sum : k, w, k, 0, NULL, sum);
    }
    step_sum(n, dB ? 3 : 2, 1, x, h, sum, 1, dB, x);
}

/* --- Dormand-Prince 5(4) ---
 *
 * Error weights, first step, control and norm are those of torchdiffeq:
 * |h sum e_i k_i/(atol + rtol max(|x|, |x'|))|_rms <= 1. Each function has its own time and step;
 * `pooled` makes the norm, and so the steps, those of the batch. */

static const double dp_c[7] = { 0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1 };
static const double dp_a[7][6] = {
    { 0 }, { 1. / 5 }, { 3. / 40, 9. / 40 }, { 44. / 45, -56. / 15, 32. / 9 },
    { 19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729 },
    { 9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656 },
    { 35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84 } };
static const double dp_e[7] = { 35. / 384 - 1951. / 21600, 0, 500. / 1113 - 22642. / 50085,
    125. / 192 - 451. / 720, -2187. / 6784 + 12231. / 42400, 11. / 84 - 649. / 6300, -1. / 60 };

/* the square of x over the scale of y and z */
static double dp_ratio(const fd_sampler *how, double x, double y, double z)
{
    double rtol = how->rtol > 0 ? how->rtol : 1e-5, atol = how->atol > 0 ? how->atol : 1e-5;
    double e = x / (atol + rtol * fmax(fabs(y), fabs(z)));
    return e * e;
}

/* r[i] = rms of x over the scale of y and z, of function i, or of all where they are pooled. more
 * [3][b] is one more number of each, or NULL. */
static void dp_norm(const fd_sampler *how, int b, ptrdiff_t n, const fd_real *x, const fd_real *y,
                    const fd_real *z, const double *more, double *r)
{
    double all = 0, count = (double)n + (more ? 1 : 0);
    for (int i = 0; i < b; i++) {
        r[i] = more ? dp_ratio(how, more[i], more[b + i], more[2 * b + i]) / count : 0;
        for (ptrdiff_t j = i * n; j < (i + 1) * n; j++)
            r[i] += dp_ratio(how, x[j], y[j], z[j]) / count;
        all += r[i] / b;
    }
    for (int i = 0; i < b; i++) r[i] = sqrt(how->pooled ? all : r[i]);
}

/* y_i = x_i + h_i sum_j a_j k_j,i */
static void dp_sum(int b, ptrdiff_t n, int stages, const double *a, const double *h,
                   const fd_real *x, fd_real *const k[7], fd_real *y)
{
    for (int i = 0; i < b; i++)
        for (ptrdiff_t e = i * n; e < (i + 1) * n; e++) {
            double sum = 0;
            for (int j = 0; j < stages; j++) sum += a[j] * k[j][e];
            y[e] = (fd_real)((x ? x[e] : 0) + h[i] * sum);
        }
}

/* k = dx/dtau at u [b], times of the clock, and where there is a tr, g = its divergence */
static void dp_slope(const fd_sampler *how, const step_ctx *ctx, int b, const fd_real *x,
                     const double *u, fd_real *d, fd_real *k, const step_trace *tr, double *g,
                     fd_arena scratch)
{
    double *t = fd_raw(&scratch, double, b);
    for (int i = 0; i < b && t; i++) t[i] = proc_clock(how->p, ctx->lo, ctx->hi, u[i]);
    if (!t) return;
    step_predict(how, b, x, t, d, scratch);
    lin_apply("fd_advance", how->p, b, t, step_slope, ctx, 2, INPUTS(x, d), k, scratch);
    if (!tr) return;
    step_trace at = { tr->probes, ctx->lo, ctx->hi, tr->z, tr->mu, g };
    memset(g, 0, (size_t)b * sizeof *g);
    trace_add(how, &at, 1, b, x, t, scratch);
}

/* b functions of n numbers on their way to the time `to`, each with its own time t and step h,
 * which is t - next and so has the sign of `way`. With tr also the sum of div F, of slopes g. */
typedef struct {
    const fd_sampler *how;
    step_ctx ctx;
    step_trace *tr;
    int b;
    ptrdiff_t n;
    double to, way;
    fd_real *x, *d, *y, *err, *k[7];  /* the state, D, the new state, its error, the slopes */
    double *t, *h, *ts, *r;           /* [b]: times, steps, times of a stage, norms of the error */
    double *g, *more;                 /* [7][b]; [3][b]: error, old and new value of the sum */
} dp_state;

/* The first step [Hairer et al. sec. II.4], at most `most` long; 0 where it failed. d0, d1 [b]. */
static int dp_first(dp_state *w, double most, double *d0, double *d1, fd_arena scratch)
{
    static const double one[1] = { 1 };
    const fd_sampler *how = w->how;
    const int b = w->b;
    const ptrdiff_t n = w->n;
    dp_slope(how, &w->ctx, b, w->x, w->t, w->d, w->k[0], w->tr, w->g, scratch);
    if (scratch.st->code) return 0;
    dp_norm(how, b, n, w->x, w->x, w->x, NULL, d0);
    dp_norm(how, b, n, w->k[0], w->x, w->x, NULL, d1);
    for (int i = 0; i < b; i++) {
        if (!(d0[i] + d1[i] < INFINITY))
            return FD_FAIL(scratch.st, FD_ENAN, "fd_advance", "pf-adaptive: not finite in function",
                           i), 0;
        double guess = d0[i] < 1e-5 || d1[i] < 1e-5 ? 1e-6 : .01 * d0[i] / d1[i];
        w->h[i] = w->way * fmin(guess, most);
        w->ts[i] = w->t[i] - w->h[i];
    }
    dp_sum(b, n, 1, one, w->h, w->x, w->k, w->y);
    dp_slope(how, &w->ctx, b, w->y, w->ts, w->d, w->k[1], NULL, NULL, scratch);
    if (scratch.st->code) return 0;
    for (ptrdiff_t e = 0; e < b * n; e++) w->err[e] = w->k[1][e] - w->k[0][e];
    dp_norm(how, b, n, w->err, w->x, w->x, NULL, w->r);
    for (int i = 0; i < b; i++) {
        double len = fabs(w->h[i]), top = fmax(d1[i], w->r[i] / len);
        double len1 = top <= 1e-15 ? fmax(1e-6, 1e-3 * len) : pow(.01 / top, .2);
        w->h[i] = w->way * fmin(100 * len, len1);
    }
    return 1;
}

/* a step h of each function to y, and r, the norm of its error; 0 where it failed */
static int dp_try(dp_state *w, fd_arena scratch)
{
    const int b = w->b;
    for (int j = 1; j < 7; j++) {
        for (int i = 0; i < b; i++)
            w->ts[i] = dp_c[j] == 1 && w->h[i] == w->t[i] - w->to ? w->to
                     : w->t[i] - dp_c[j] * w->h[i];
        dp_sum(b, w->n, j, dp_a[j], w->h, w->x, w->k, w->y);
        dp_slope(w->how, &w->ctx, b, w->y, w->ts, w->d, w->k[j], w->tr, w->g + j * b, scratch);
    }
    if (scratch.st->code) return 0;
    dp_sum(b, w->n, 7, dp_e, w->h, NULL, w->k, w->err);
    for (int i = 0; i < b && w->tr; i++) {
        double *more = w->more;
        more[i] = 0, more[b + i] = more[2 * b + i] = w->tr->sum[i];
        for (int j = 0; j < 7; j++) {
            more[i] += w->h[i] * dp_e[j] * w->g[j * b + i];
            if (j < 6) more[2 * b + i] += w->h[i] * dp_a[6][j] * w->g[j * b + i];
        }
    }
    dp_norm(w->how, b, w->n, w->err, w->x, w->y, w->more, w->r);
    return 1;
}

/* Where the error is small enough y is the new state; then the next step. 0 where it failed. */
static int dp_accept(dp_state *w, fd_status *st)
{
    const ptrdiff_t n = w->n;
    for (int i = 0; i < w->b; i++) {
        int ok = w->r[i] <= 1;
        if (!(w->r[i] < INFINITY))
            return FD_FAIL(st, FD_ENAN, "fd_advance", "pf-adaptive: not finite in function", i), 0;
        if (ok && w->h[i] != 0) {
            memcpy(w->x + i * n, w->y + i * n, (size_t)n * sizeof *w->x);
            memcpy(w->k[0] + i * n, w->k[6] + i * n, (size_t)n * sizeof *w->x);
            w->t[i] = w->ts[i];
            if (w->tr) w->tr->sum[i] = w->more[2 * w->b + i], w->g[i] = w->g[6 * w->b + i];
        }
        double grow = w->r[i] > 0 ? .9 * pow(w->r[i], -.2) : 10;
        w->h[i] *= fmin(10, fmax(grow, ok ? 1 : .2));
    }
    return 1;
}

/* x from one time to another, either way */
static void dp_run(const fd_sampler *how, double from, double to, int b, fd_real *x, fd_real *d,
                   step_trace *tr, fd_arena scratch)
{
    enum { TRIES = 10000 };
    const ptrdiff_t n = fd_size(&how->p->noise->s);
    dp_state w = { .how = how, .ctx = { 0, 0, to, fmin(from, to), fmax(from, to) }, .tr = tr,
                   .b = b, .n = n, .to = to, .way = from > to ? 1 : -1, .x = x, .d = d };
    w.y = fd_raw(&scratch, fd_real, b * n), w.err = fd_raw(&scratch, fd_real, b * n);
    double *t = fd_new(&scratch, double, 16 * (size_t)b);
    for (int i = 0; i < 7; i++) w.k[i] = fd_raw(&scratch, fd_real, b * n);
    if (!w.k[6]) return;
    w.t = t, w.h = t + b, w.ts = t + 2 * b, w.r = t + 5 * b, w.g = t + 6 * b;
    w.more = tr ? t + 13 * b : NULL;
    for (int i = 0; i < b; i++) t[i] = from;
    if (!dp_first(&w, fabs(from - to), t + 3 * b, t + 4 * b, scratch)) return;
    for (int tries = 0;; tries++) {
        int left = 0;
        for (int i = 0; i < b; i++) {                                 /* done: h = 0 */
            if (w.way * w.h[i] >= w.way * (t[i] - to) * (1 - 1e-9)) w.h[i] = t[i] - to;
            left += t[i] != to;
        }
        if (!left) return;
        if (tries == TRIES)
            FD_FAIL(scratch.st, FD_EARG, "fd_advance", "pf-adaptive needs too many steps", TRIES);
        if (!dp_try(&w, scratch) || !dp_accept(&w, scratch.st)) return;
    }
}

/* Is it a scheme of several stages, a row of step_stages? */
static int step_staged(int scheme) { return scheme >= FD_ONE_STAGE && scheme < FD_PF_MULTISTEP; }

/* Is how a sampler, with a process, a model, and choices that go together? */
static int step_ready(const fd_sampler *how, const char *where, fd_status *st)
{
    if (!proc_ready(where, how->p, st)) return 0;
    if (!how->model.eval) FD_FAIL(st, FD_EARG, where, "the model is empty");
    else if (!fd_scheme_name(how->scheme))
        FD_FAIL(st, FD_EARG, where, "no such scheme", how->scheme);
    else if (FD_LESS && (step_staged(how->scheme) || how->scheme == FD_PF_ADAPTIVE
                         || how->corrector))
        FD_FAIL(st, FD_EARG, where, "FD_SMALL is without correctors and schemes of several stages");
    else if (how->scheme == FD_ANCESTRAL_OPTIMAL && !how->model.var)
        fd_fail_name(st, FD_EARG, where, "the model has no variance, which this scheme needs",
                     fd_scheme_name(how->scheme));
    else if (how->corrector < FD_CORRECT_NONE || how->corrector > FD_CORRECT_SNR_GRID
             || (how->corrector && !proc_some(how->cprm)))
        FD_FAIL(st, FD_EARG, where, "no such corrector, or its parameter is negative",
                how->corrector);
    else if (how->start < FD_START_NOISE || how->start > FD_START_MATCHED)
        FD_FAIL(st, FD_EARG, where, "no such start", how->start);
    else if (!(how->rtol >= 0 && how->atol >= 0 && how->tdenoise >= 0 && how->inner >= 0
               && how->band >= 0))
        FD_FAIL(st, FD_EARG, where, "rtol, atol, tdenoise, inner and band must be 0 or above");
    else if (how->scheme == FD_ANNEALED && !how->corrector)
        FD_FAIL(st, FD_EARG, where, "annealed needs a corrector");
    else if (!proc_some(how->churn) || (how->churn > 0 && how->scheme == FD_PF_MULTISTEP))
        FD_FAIL(st, FD_EARG, where, "churn is negative, or with pf-multistep");
    return !st->code;
}

/* Does the scheme draw noise? And does the sampler draw none after its start? */
static int step_noisy(const fd_sampler *how)
{
    return step_scheme[how->scheme].noisy
        && !(how->eta == 0 && (how->scheme == FD_DDIM || how->scheme == FD_ETA_EULER));
}

static int step_silent(const fd_sampler *how)
{
    return !(step_noisy(how) || how->corrector || how->churn > 0);    /* annealed has the second */
}

/* Do the times fall? */
static int step_times(const fd_sampler *how, const char *where, fd_status *st)
{
    if (!st->code && (how->steps < 1 || !how->t))
        FD_FAIL(st, FD_EARG, where, "needs steps and times", how->steps);
    for (int i = 0; i < how->steps && !st->code; i++)
        if (!(how->t[i] > how->t[i + 1] && how->t[i] < INFINITY))
            FD_FAIL(st, FD_EARG, where, "times must fall; step", i);
    return !st->code;
}

/* A step without corrector. before, dp: where the last one began, and its D or NULL (multistep). */
static void step_run(const fd_sampler *how, double before, const fd_real *dp, double t, double s,
                     int b, fd_real *x, const fd_real *xi, fd_real *d, fd_arena scratch)
{
    const fd_process *p = how->p;
    ptrdiff_t n = b * fd_size(&p->noise->s);
    int scheme = how->scheme;
    double *tb = lin_at(&scratch, b, t);
    if (!d) d = fd_raw(&scratch, fd_real, n);
    if (!tb || !d || scheme == FD_ANNEALED) return;
    if (!FD_LESS && scheme == FD_PF_ADAPTIVE) {
        dp_run(how, t, s, b, x, d, NULL, scratch);
        return;
    }
    if (scheme == FD_PF_MULTISTEP && dp) {
        step_two two = { s, before };
        step_predict(how, b, x, tb, d, scratch);
        lin_apply("fd_advance", p, b, tb, step_multistep, &two, 3, INPUTS(x, d, dp), x, scratch);
        return;
    }
    while (!FD_LESS && step_staged(scheme)) {
        int row = scheme - FD_ONE_STAGE;
        FD_ASSERT(step_stages[row].scheme == scheme);
        if (step_stages[row].end == scheme || p->law(p, s, 0).v > 0) {
            step_multi(how, row, t, s, b, x, xi, d, tb, NULL, scratch);
            return;
        }
        scheme = step_stages[row].end;
    }
    step_ctx ctx = { scheme, how->eta, s, s, t };
    if (scheme == FD_PF_MULTISTEP) ctx = (step_ctx){ FD_DDIM, 0, s, s, t };
    step_predict(how, b, x, tb, d, scratch);
    if (scheme == FD_ANCESTRAL_OPTIMAL && xi) {
        fd_real *z = fd_raw(&scratch, fd_real, n);
        if (z) step_optimal(how, t, s, b, x, xi, tb, z, scratch);
        xi = z;
    }
    lin_apply("fd_advance", p, b, tb, step_row, &ctx, xi ? 3 : 2, INPUTS(x, d, xi), x, scratch);
}

void fd_advance(const fd_sampler *how, double t, double s, int b, fd_real *x, const fd_real *xi,
                fd_real *d, fd_arena scratch)
{
    if (!x || !step_ready(how, __func__, scratch.st)) return;
    if (!(s < t)) FD_FAIL(scratch.st, FD_EARG, __func__, "times must fall");
    else step_run(how, t, NULL, t, s, b, x, xi, d, scratch);
}

/* --- The corrector ---
 *
 * x' = (1 - alpha/2v) x + (alpha m/2v) D + sqrt(alpha) xi [Thesis eq. 3.19] */

/* the rule of alpha, its parameter, and the last time of all */
typedef struct { int rule; double prm, end; } step_langevin;

/* c of x, D and xi; alpha by the rule of ctx */
static const char *step_correct(const void *ctx, const fd_process *p, double t, double mu,
                                double c[3])
{
    const step_langevin *x = ctx;
    fd_coef f = p->law(p, t, mu);
    if (!(f.v > 0)) return "v = 0: nothing to correct";
    double r = x->rule == FD_CORRECT_LADDER ? f.v / p->law(p, x->end, mu).v : 0;
    double al = x->rule == FD_CORRECT_LADDER ? x->prm * r * r         /* [DDO alg. 1] */
              : x->rule == FD_CORRECT_SNR_GRID ? x->prm
              : x->prm * f.v;                                         /* [Thesis alg. 1] */
    c[0] = 1 - .5 * al / f.v, c[1] = .5 * al * f.m / f.v, c[2] = sqrt(al);
    return NULL;
}

/* Norms that the grid does not change are over the band, and beside it over what the modes beyond
 * would add if they held noise alone, and as much of it as the band. in[k]: is mode k one of the
 * band's? Returns the trace of C on the band. */
static double snr_band(const fd_sampler *how, char *in, fd_status *st)
{
    const fd_cov *c = how->p->noise;
    const fd_space *s = &c->s;
    int band = how->band ? how->band : 3;
    double trace = 0;
    for (int i = 0; i < s->nd; i++) {
        int need = s->bc[i] == FD_PERIODIC ? 2 * band + 1 : band + (s->bc[i] == FD_NEUMANN);
        if (s->n[i] < need)
            FD_FAIL(st, FD_ESHAPE, "fd_correct",
                    "the band has more waves than an axis; axis, points, waves", i, s->n[i], band);
    }
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        in[k] = c->lam[k] > 0 && (s->basis || fd_wave(s, k, NULL) <= band + 1e-9);
        if (in[k]) trace += s->ch * c->lam[k];
    }
    if (!(trace > 0)) FD_FAIL(st, FD_EARG, "fd_correct", "no noise in the band; waves", band);
    return trace;
}

/* norm [b] of x; x NULL: of a draw of the noise, in the mean */
static void snr_norm(const fd_sampler *how, int b, const fd_real *x, double *norm, fd_arena scratch)
{
    const fd_cov *c = how->p->noise;
    const fd_space *s = &c->s;
    ptrdiff_t n = fd_size(s), modes = s->modes;
    if (how->corrector == FD_CORRECT_SNR_GRID) {
        for (int i = 0; i < b; i++)
            norm[i] = sqrt(x ? fd_inner(s, x + i * n, x + i * n) : s->ch * fd_cov_trace(c));
        return;
    }
    fd_real *u = fd_raw(&scratch, fd_real, s->ch * modes);
    char *in = fd_raw(&scratch, char, modes);
    if (!in) return;
    double trace = snr_band(how, in, scratch.st);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        double sum = x ? trace : 2 * trace;
        if (x) fd_to_modes(s, 1, x + i * n, u, scratch);
        for (ptrdiff_t j = 0; j < s->ch * modes && x; j++)
            if (in[j % modes]) sum += (double)u[j] * u[j];
        norm[i] = sqrt(sum);
    }
}

void fd_correct(const fd_sampler *how, double t, int b, fd_real *x, const fd_real *xi, fd_real *d,
                fd_arena scratch)
{
    if (!x || !step_ready(how, __func__, scratch.st) || !how->corrector) return;
    const fd_process *p = how->p;
    ptrdiff_t n = fd_size(&p->noise->s);
    int ladder = how->corrector == FD_CORRECT_LADDER, nin = xi ? 3 : 2;
    int kind = how->corrector == FD_CORRECT_SNR_GRID ? FD_SCORE : FD_NOISE;
    if (ladder && !step_times(how, __func__, scratch.st)) return;
    step_langevin ctx = { how->corrector, how->cprm, ladder ? how->t[how->steps] : 0 };
    double *tb = lin_at(&scratch, b, t), *g = fd_raw(&scratch, double, b);
    double *z = fd_raw(&scratch, double, b), gs = 0, zs = 0;
    if (!d) d = fd_raw(&scratch, fd_real, b * n);
    if (scratch.st->code) return;
    step_predict(how, b, x, tb, d, scratch);
    if (how->corrector < FD_CORRECT_SNR) {
        lin_apply(__func__, p, b, tb, step_correct, &ctx, nin, INPUTS(x, d, xi), x, scratch);
        return;
    }
    fd_real *e = fd_raw(&scratch, fd_real, b * n);
    if (!e) return;
    memcpy(e, d, (size_t)(b * n) * sizeof *d);
    fd_convert(p, FD_X0, kind, b, x, tb, e, scratch);
    snr_norm(how, b, e, g, scratch);
    snr_norm(how, b, xi, z, scratch);
    if (scratch.st->code) return;
    for (int i = 0; i < b; i++) gs += g[i], zs += z[i];
    for (int i = 0; i < b; i++) {
        double ratio = how->cprm * (how->pooled ? zs / gs : z[i] / g[i]);
        ctx.prm = 4 * ratio * ratio;                                  /* [SDE algs. 4, 5] */
        lin_apply(__func__, p, 1, tb, step_correct, &ctx, nin,
                  INPUTS(x + i * n, d + i * n, xi ? xi + i * n : NULL), x + i * n, scratch);
    }
}

/* x as how->start says. A matched start, m (mean + N(0, cov)) + s xi, needs no common modes. */
static void step_begin(const fd_sampler *how, fd_rng r, int first, int b, fd_real *x,
                       fd_arena scratch)
{
    const fd_process *p = how->p;
    ptrdiff_t n = fd_size(&p->noise->s);
    double *tb = lin_at(&scratch, b, how->t[0]);
    int matched = how->start == FD_START_MATCHED;
    fd_real *x0 = matched ? fd_new(&scratch, fd_real, b * n) : NULL;
    if (matched && how->cov && fd_size(&how->cov->s) != n)
        FD_FAIL(scratch.st, FD_ESHAPE, "fd_begin", "data and noise have different points",
                fd_size(&how->cov->s), n);
    if (scratch.st->code) return;
    fd_cov_draw(p->noise, r, first, b, x, scratch);
    if (how->start == FD_START_UNIT) return;
    if (!matched) {
        lin_apply("fd_begin", p, b, tb, step_start, NULL, 1, INPUTS(x), x, scratch);
        return;
    }
    if (how->cov) fd_cov_draw(how->cov, fd_stream(r, 'm', 0), first, b, x0, scratch);
    for (ptrdiff_t i = 0; i < b * n && how->mean; i++) x0[i] += how->mean[i % n];
    lin_apply("fd_begin", p, b, tb, pair_noise, NULL, 2, INPUTS(x0, x), x, scratch);
}

fd_run *fd_begin(fd_arena *a, const fd_sampler *how, fd_rng r, int first, int b)
{
    if (!step_ready(how, __func__, a->st)) return NULL;
    if (b < 1) FD_FAIL(a->st, FD_EARG, __func__, "needs functions", b);
    if (!step_times(how, __func__, a->st)) return NULL;
    ptrdiff_t n = b * fd_size(&how->p->noise->s);
    fd_run *run = fd_new(a, fd_run, 1);
    fd_real *x = fd_new(a, fd_real, n), *d = fd_new(a, fd_real, n);
    fd_real *prev = how->scheme == FD_PF_MULTISTEP ? fd_new(a, fd_real, n) : NULL;
    if (a->st->code) return NULL;
    step_begin(how, r, first, b, x, *a);
    if (a->st->code) return NULL;
    *run = (fd_run){ *how, r, first, b, 0, x, d, prev };
    return run;
}

/* Are n numbers finite? */
static int step_finite(ptrdiff_t n, const fd_real *x)
{
    int bad = 0;
    for (ptrdiff_t i = 0; i < n; i++) bad |= !(x[i] - x[i] == 0);
    return !bad;
}

/* more noise, from t on to u > t, which ctx is: (m_u/m_t) x + sqrt(v(u|t)) xi */
static const char *step_forward(const void *ctx, const fd_process *p, double t, double mu,
                                double c[3])
{
    fd_coef T = p->law(p, t, mu), U = p->law(p, *(const double *)ctx, mu);
    c[0] = U.m / T.m, c[1] = sqrt(fmax(0, U.v - c[0] * c[0] * T.v));
    return NULL;
}

/* What a step consists of: the corrector at t, the predictor, churn and the predictor again, the
 * corrector at s [SDE alg. 1]; annealing corrects at t, and in the last step at s; last of all D.
 * fd_step makes these moves, and fd_exact_law asks what each of them does to the law. */
enum { MOVE_CORRECT, MOVE_PREDICT, MOVE_CHURN, MOVE_MEAN };
typedef struct {
    int what;
    double t, s;                      /* from t to s; correctors and D are told t */
    int noisy;                        /* its noise is draw i of stream `purpose` */
    uint32_t purpose;
    int i;
} step_move;

/* Move j of step k; returns 0 where there is none. */
static int step_plan(const fd_sampler *how, int k, int j, step_move *m)
{
    double t = how->t[k], s = how->t[k + 1], v = how->p->law(how->p, s, 0).v;
    int last = k + 1 == how->steps, inner = how->inner > 0 ? how->inner : 1;
    int hold = how->scheme == FD_ANNEALED, quiet = how->quiet && last, noisy = step_noisy(how);
    int early = how->corrector && (how->before || hold) ? inner : 0;
    int late = how->corrector && (!how->before || hold) && (!hold || last) && v > 0 ? inner : 0;
    int churn = how->churn > 0 && !hold;
    if (j < early) {
        *m = (step_move){ MOVE_CORRECT, t, t, 1, 'c', k * inner + j };
        return 1;
    }
    if ((j -= early) == 0) {
        *m = (step_move){ MOVE_PREDICT, t, s, noisy && !(quiet && !late && !churn), 's', k + 1 };
        return 1;
    }
    if (--j < 2 * churn) {
        double u = s + how->churn * (t - s);
        *m = j ? (step_move){ MOVE_PREDICT, u, s, noisy && !(quiet && !late), 'v', k + 1 }
               : (step_move){ MOVE_CHURN, s, u, 1, 'u', k + 1 };
        return 1;
    }
    if ((j -= 2 * churn) < late) {                    /* level k + 1: t was level k */
        *m = (step_move){ MOVE_CORRECT, s, s, !(quiet && j + 1 == inner), 'c',
                          (k + hold) * inner + j };
        return 1;
    }
    *m = (step_move){ MOVE_MEAN, how->tdenoise > 0 ? how->tdenoise : s, s, 0, 0, 0 };
    return j == late && last && how->denoise && v > 0;                /* v = 0: x is D already */
}

/* x and D after a move; before and dp are those of step_run, for the predictor. */
static void step_make_move(const fd_sampler *how, const step_move *m, double before,
                           const fd_real *dp, int b, fd_real *x, const fd_real *xi, fd_real *d,
                           fd_arena scratch)
{
    if (m->what == MOVE_PREDICT) {
        step_run(how, before, dp, m->t, m->s, b, x, xi, d, scratch);
        return;
    }
    if (!FD_LESS && m->what == MOVE_CORRECT) {
        fd_correct(how, m->t, b, x, xi, d, scratch);
        return;
    }
    double *tb = lin_at(&scratch, b, m->t);
    if (!tb) return;
    if (m->what == MOVE_CHURN) {
        lin_apply("fd_step", how->p, b, tb, step_forward, &m->s, 2, INPUTS(x, xi), x, scratch);
        return;
    }
    step_predict(how, b, x, tb, d, scratch);
    memcpy(x, d, (size_t)(b * fd_size(&how->p->noise->s)) * sizeof *x);
}

/* The step is made on a copy, so that a failure of any kind leaves the run as it was. */
int fd_step(fd_run *run, fd_arena scratch)
{
    if (!run || scratch.st->code || run->k >= run->how.steps) return 0;
    const fd_sampler *how = &run->how;
    int k = run->k, b = run->b, noisy = 0;
    ptrdiff_t n = b * fd_size(&how->p->noise->s);
    step_move m;
    for (int j = 0; step_plan(how, k, j, &m); j++) noisy |= m.noisy;
    fd_real *x = fd_raw(&scratch, fd_real, n), *xi = noisy ? fd_raw(&scratch, fd_real, n) : NULL;
    fd_real *dp = run->prev ? fd_raw(&scratch, fd_real, n) : NULL;
    if (scratch.st->code) return 0;
    memcpy(x, run->x, (size_t)n * sizeof *x);
    for (int j = 0; step_plan(how, k, j, &m); j++) {
        fd_rng own = fd_stream(run->r, m.purpose, (uint32_t)m.i);
        if (m.noisy) fd_cov_draw(how->p->noise, own, run->first, b, xi, scratch);
        step_make_move(how, &m, how->t[k ? k - 1 : 0], k ? run->prev : NULL, b, x,
                       m.noisy ? xi : NULL, run->d, scratch);
        if (dp && m.what == MOVE_PREDICT) memcpy(dp, run->d, (size_t)n * sizeof *dp);
    }
    if (scratch.st->code) return 0;
    if (!step_finite(n, x))
        return FD_FAIL(scratch.st, FD_ENAN, __func__, "the state is not finite after step",
                       k + 1), 0;
    memcpy(run->x, x, (size_t)n * sizeof *x);
    if (dp) memcpy(run->prev, dp, (size_t)n * sizeof *dp);
    return ++run->k < how->steps;
}

void fd_sample(const fd_sampler *how, fd_rng r, int first, int b, fd_real *x, fd_arena scratch)
{
    fd_run *run = fd_begin(&scratch, how, r, first, b);
    while (fd_step(run, scratch)) { }
    if (run && !scratch.st->code)
        memcpy(x, run->x, (size_t)b * (size_t)fd_size(&how->p->noise->s) * sizeof *x);
}

fd_sampler fd_fdp_sampler(const fd_process *p, fd_model model, int n, double churn, double snr,
                          int ode, double *t, fd_status *st)
{
    if (!proc_made(__func__, p, st)) return (fd_sampler){ 0 };
    if (n < 2 || !proc_some(churn) || !proc_some(snr))
        return FD_FAIL(st, FD_EARG, __func__, "needs n > 1, and churn and snr of 0 or above; n",
                       n), (fd_sampler){ 0 };
    for (int i = 0; i < n; i++) t[i] = (p->tmax * (n - i) + p->tmin * i) / n;
    return (fd_sampler){ .p = p, .model = model, .t = t, .steps = n - 1,
                         .scheme = ode ? FD_PF_EULER : FD_EULER_MARUYAMA, .denoise = 1,
                         .corrector = FD_CORRECT_SNR, .cprm = snr, .before = 1, .churn = churn,
                         .quiet = 1, .tdenoise = p->tmin };
}

/* ---- Likelihood ------------------------------------------------------------------------------ *
 *
 * The flow is dx/dtau = F = cx x + cD D, so log p_t = log p_T - int_t^T div F [SDE eqs. 38, 39]:
 *
 *     div F = sum_k cx + cD dD_k/dx_k,       dD_k/dx_k = m Var(x0_k|x)/(v lam)
 *
 * or with D = r0 x + r1 y, y what the model predicts and J = dy/dx:
 *
 *     div F = sum_k (cx + cD r0) + E z^T cD r1 J z,       E z z^T = 1        [SDE eq. 40]
 *
 * Modes without noise have no density. They are left out of the sum, and of z. */

/* kinds of predictions, from and to, and the ends of the step */
typedef struct { int kind[2]; double lo, hi; } trace_ctx;

/* c[0] = cD r1, c[1] = cx + cD r0 */
static const char *trace_slope(const void *ctx, const fd_process *p, double t, double mu,
                               double c[3])
{
    const trace_ctx *x = ctx;
    double r[3], q;
    fd_coef f = proc_inside(p, t, mu, x->lo, x->hi);
    const char *why = f.v > 0 ? conv_coef(x->kind, p, t, mu, r) : "v = 0 inside a step";
    if (why) return why;
    step_drift(f, 0, &c[1], &c[0], &q);
    c[1] += c[0] * r[0];
    c[0] *= r[1];
    return NULL;
}

static void trace_add(const fd_sampler *how, step_trace *tr, double weight, int b, const fd_real *x,
                      const double *t, fd_arena scratch)
{
    const fd_process *p = how->p;
    const fd_space *s = &p->noise->s;
    const double *lam = p->noise->lam;
    trace_ctx ctx = { { tr->probes ? how->model.predicts : FD_X0, FD_X0 }, tr->lo, tr->hi };
    ptrdiff_t modes = s->modes, n = fd_size(s), all = s->ch * modes;
    fd_real *w = fd_raw(&scratch, fd_real, b * (tr->probes ? n : all));
    fd_real *J = tr->probes ? fd_raw(&scratch, fd_real, b * n) : NULL;
    double *per = fd_raw(&scratch, double, modes);    /* the factor of Var(x0_k|x) */
    double flat = 0;
    if (scratch.st->code) return;
    if (!tr->probes) how->model.var(how->model.self, s, b, x, t, w, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        if (i == 0 || t[i] != t[i - 1]) flat = 0;
        for (ptrdiff_t k = 0; k < modes && (i == 0 || t[i] != t[i - 1]); k++) {
            double c[3];
            const char *why = lam[k] > 0 ? trace_slope(&ctx, p, t[i], tr->mu[k], c) : NULL;
            if (why) { FD_FAIL(scratch.st, FD_EARG, "fd_loglik", why); return; }
            per[k] = 0;
            if (!(lam[k] > 0)) continue;
            fd_coef f = p->law(p, t[i], tr->mu[k]);
            flat += (double)s->ch * c[1], per[k] = c[0] * f.m / (f.v * lam[k]);
        }
        tr->sum[i] += weight * flat;
        for (ptrdiff_t j = 0; j < all && !tr->probes; j++)
            tr->sum[i] += weight * per[j % modes] * w[i * all + j];
    }
    for (int q = 0; q < tr->probes; q++) {
        const fd_real *z = tr->z + (ptrdiff_t)q * b * n;
        lin_apply("fd_loglik", p, b, t, trace_slope, &ctx, 1, INPUTS(z), w, scratch);
        if (!scratch.st->code) how->model.vjp(how->model.self, s, b, x, t, w, J, scratch);
        if (scratch.st->code) return;
        for (int i = 0; i < b; i++) {
            double dot = 0;
            for (ptrdiff_t j = i * n; j < (i + 1) * n; j++) dot += (double)J[j] * z[j];
            tr->sum[i] += weight * dot / tr->probes;
        }
    }
}

/* the law that a sampler starts from: means A [ch][modes] and variances W [modes], beside the mu */
typedef struct { double *mu, *W; fd_real *A; } trace_law;

static trace_law trace_start(const char *where, const fd_sampler *how, fd_arena *a)
{
    const fd_process *p = how->p;
    const fd_space *s = &p->noise->s;
    int matched = how->start == FD_START_MATCHED;
    trace_law r = { proc_args(p, a), NULL, NULL };
    r.W = fd_raw(a, double, s->modes), r.A = fd_new(a, fd_real, s->ch * s->modes);
    if (matched && how->cov && !space_same(s, &how->cov->s))
        FD_FAIL(a->st, FD_ESHAPE, where, "data and noise have different modes");
    if (matched && how->mean) fd_to_modes(s, 1, how->mean, r.A, *a);
    for (ptrdiff_t k = 0; k < s->modes && !a->st->code; k++) {
        fd_coef T = p->law(p, how->t[0], r.mu[k]);
        r.W[k] = (how->start == FD_START_UNIT ? 1 : T.v) * p->noise->lam[k]
               + (matched && how->cov ? T.m * T.m * how->cov->lam[k] : 0);
        for (ptrdiff_t l = 0; l < s->ch; l++) r.A[l * s->modes + k] *= (fd_real)T.m;
    }
    return r;
}

/* Do the times fall, and end where there is noise? Else there may be no density. */
static int trace_times(const fd_sampler *how, const char *where, fd_status *st)
{
    if (step_times(how, where, st) && !(how->p->law(how->p, how->t[how->steps], 0).v > 0))
        FD_FAIL(st, FD_EARG, where, "v = 0 at the last time: there is no density to speak of");
    return !st->code;
}

/* log N(u; A, W) over the modes with lam > 0; A may be NULL */
static double trace_logp(const fd_space *s, const double *lam, const double *W, const fd_real *A,
                         const fd_real *u)
{
    double sum = 0;
    for (ptrdiff_t j = 0; j < s->ch * s->modes; j++) {
        ptrdiff_t k = j % s->modes;
        double d = (double)u[j] - (A ? A[j] : 0);
        if (lam[k] > 0) sum -= .5 * (log(2 * PI * W[k]) + d * d / W[k]);
    }
    return sum;
}

double fd_gauss_logp(const fd_cov *c, const fd_real *mean, const fd_real *x, fd_arena scratch)
{
    if (scratch.st->code || !c) return 0;
    ptrdiff_t n = c->s.ch * c->s.modes;
    fd_real *u = fd_raw(&scratch, fd_real, n), *A = mean ? fd_raw(&scratch, fd_real, n) : NULL;
    if (scratch.st->code) return 0;
    fd_to_modes(&c->s, 1, x, u, scratch);
    if (A) fd_to_modes(&c->s, 1, mean, A, scratch);
    return scratch.st->code ? 0 : trace_logp(&c->s, c->lam, c->lam, A, u);
}

/* z [n] of signs +1 and -1 */
static void trace_sign(fd_rng r, ptrdiff_t n, fd_real *z)
{
    fd_uniform(r, n, z);
    for (ptrdiff_t i = 0; i < n; i++) z[i] = z[i] < (fd_real).5 ? -1 : 1;
}

void fd_loglik(const fd_sampler *how, int probes, fd_rng r, int first, int b, const fd_real *x,
               double *logp, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!step_ready(how, __func__, st)) return;
    const fd_process *p = how->p;
    const fd_space *s = &p->noise->s;
    ptrdiff_t n = fd_size(s), modes = s->modes;
    int row = how->scheme - FD_ONE_STAGE;
    int adaptive = how->scheme == FD_PF_ADAPTIVE;
    if (!trace_times(how, __func__, st)) return;
    if (b < 1 || probes < 0)
        FD_FAIL(st, FD_EARG, __func__, "needs functions, and probes of 0 or above", b, probes);
    else if (!adaptive && (how->scheme < FD_PF_HEUN || how->scheme > FD_PF_RK4))
        FD_FAIL(st, FD_EARG, __func__,
                "needs steps of pf-heun, pf-midpoint, pf-rk4 or pf-adaptive; scheme", how->scheme);
    else if (probes ? !how->model.vjp || how->model.predicts > FD_VELOCITY || s->basis
                    : !how->model.var)
        FD_FAIL(st, FD_EARG, __func__,
                "the model has no variance, or for probes no derivative on a grid");
    fd_real *y = fd_raw(&scratch, fd_real, b * n), *d = fd_raw(&scratch, fd_real, b * n);
    fd_real *z = fd_raw(&scratch, fd_real, (size_t)probes * (size_t)(b * n));
    fd_real *u = fd_raw(&scratch, fd_real, s->ch * modes);
    double *tb = fd_raw(&scratch, double, b), *sum = fd_new(&scratch, double, b);
    const trace_law from = trace_start(__func__, how, &scratch);
    int bare = 0;
    if (st->code) return;
    for (ptrdiff_t k = 0; k < modes; k++) bare |= !(p->noise->lam[k] > 0);
    for (int q = 0; q < probes; q++)
        for (int i = 0; i < b; i++) {
            fd_real *zi = z + ((ptrdiff_t)q * b + i) * n;
            fd_rng own = fd_stream(r, 'h', (uint32_t)(first + i));
            trace_sign(fd_stream(own, 'q', (uint32_t)q), n, zi);
            if (!bare) continue;
            fd_to_modes(s, 1, zi, u, scratch);
            for (ptrdiff_t j = 0; j < s->ch * modes; j++)
                if (!(p->noise->lam[j % modes] > 0)) u[j] = 0;
            fd_from_modes(s, 1, u, zi, scratch);
        }
    memcpy(y, x, (size_t)(b * n) * sizeof *y);
    step_trace tr = { probes, 0, 0, z, from.mu, sum };
    for (int k = how->steps; k > 0 && !st->code; k--)
        if (!FD_LESS && adaptive) dp_run(how, how->t[k], how->t[k - 1], b, y, d, &tr, scratch);
        else step_multi(how, row, how->t[k], how->t[k - 1], b, y, NULL, d, tb, &tr, scratch);
    for (int i = 0; i < b && !st->code; i++) {
        fd_to_modes(s, 1, y + i * n, u, scratch);
        logp[i] = trace_logp(s, p->noise->lam, from.W, from.A, u) + sum[i];
    }
}

/* --- The bound ---
 *
 * [Survey eq. 4.1; VDM code, model_vdm.py], by nodes: one time for all functions. */

enum { ELBO_PATH, ELBO_END };                     /* [Thesis eqs. 3.11, 3.13, 3.46-3.50, 3.53] */
/* three Gauss points on [0, 1], and their weights */
static const double gauss3[3] = { .1127016653792583115, .5, .8872983346207416885 };
static const double gauss3w[3] = { 5. / 18, 8. / 18, 5. / 18 };

/* sum[i] += weight * sum_k w_k (D - x0)_k^2, w = q m^2/(2 v^2 lam); at the end, in place of that,
 * -log N(x0; D, var) */
static void elbo_add(const fd_sampler *how, int what, double weight, const double step[2], int b,
                     const fd_real *x, const double *tb, const double *mu, const fd_real *u0,
                     double *sum, fd_arena scratch)
{
    const fd_process *p = how->p;
    const fd_space *s = &p->noise->s;
    ptrdiff_t modes = s->modes, n = s->ch * modes;
    fd_real *d = fd_raw(&scratch, fd_real, b * fd_size(s)), *u = fd_raw(&scratch, fd_real, b * n);
    fd_real *var = what == ELBO_END && how->model.var ? fd_raw(&scratch, fd_real, b * n) : NULL;
    if (scratch.st->code) return;
    step_predict(how, b, x, tb, d, scratch);
    fd_to_modes(s, b, d, u, scratch);
    if (var && !scratch.st->code) how->model.var(how->model.self, s, b, x, tb, var, scratch);
    if (scratch.st->code) return;
    for (ptrdiff_t k = 0; k < modes; k++) {
        fd_coef f = proc_inside(p, tb[0], mu[k], step[0], step[1]);
        double lam = p->noise->lam[k], q = f.dv - 2 * f.v * f.dm / f.m;
        double w = .5 * q * f.m * f.m / (f.v * f.v * lam);
        for (ptrdiff_t j = k; j < b * n && lam > 0; j += modes) {
            double e = (double)u[j] - u0[j], V = var ? var[j] : 0;
            if (!(V > 0)) V = f.v * lam / (f.m * f.m);
            sum[j / n] += weight * (what == ELBO_END ? .5 * (log(2 * PI * V) + e * e / V)
                                                     : w * e * e);
        }
    }
}

/* xi [b][ch][points], draw q of node j. Draws come in pairs of opposite signs; with pairs = 0 the
 * one pair has u_k = +-sqrt(lam_k). z: room for the coefficients of one function. */
static void elbo_draw(const fd_sampler *how, int pairs, fd_rng r, int q, int first, int b,
                      fd_real *xi, fd_real *z, fd_arena scratch)
{
    const fd_cov *c = how->p->noise;
    const fd_space *s = &c->s;
    const ptrdiff_t points = fd_size(s), n = s->ch * s->modes;
    if (q % 2) {
        for (ptrdiff_t i = 0; i < b * points; i++) xi[i] = -xi[i];
    } else if (pairs) {
        fd_cov_draw(c, r, first, b, xi, scratch);
    } else {
        for (int i = 0; i < b; i++) {
            fd_real *at = xi + i * points;
            trace_sign(fd_stream(r, 'q', (uint32_t)(first + i)), n, at);
            for (ptrdiff_t l = 0; l < n; l++) at[l] *= (fd_real)sqrt(c->lam[l % s->modes]);
            memcpy(z, at, (size_t)n * sizeof *z);
            fd_from_modes(s, 1, z, at, scratch);
        }
    }
}

void fd_elbo(const fd_sampler *how, int pairs, fd_rng r, int first, int b, const fd_real *x0,
             double *nll, double *part, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!step_ready(how, __func__, st)) return;
    const fd_process *p = how->p;
    const fd_space *s = &p->noise->s;
    ptrdiff_t points = fd_size(s), modes = s->modes, n = s->ch * modes;
    if (!trace_times(how, __func__, st)) return;
    if (b < 1 || pairs < 0)
        FD_FAIL(st, FD_EARG, __func__, "needs functions, and pairs of 0 or above", b, pairs);
    fd_real *x = fd_raw(&scratch, fd_real, b * points), *xi = fd_raw(&scratch, fd_real, b * points);
    fd_real *u0 = fd_raw(&scratch, fd_real, b * n);
    double *tb = fd_raw(&scratch, double, b), *sum = fd_new(&scratch, double, 3 * (size_t)b);
    const trace_law from = trace_start(__func__, how, &scratch);
    fd_to_modes(s, b, x0, u0, scratch);
    if (st->code) return;
    for (ptrdiff_t k = 0; k < modes; k++) {               /* KL of two Gaussians [DDPM eqs. 3, 5] */
        fd_coef T = p->law(p, how->t[0], from.mu[k]);
        double V = T.v * p->noise->lam[k], W = from.W[k];
        for (ptrdiff_t j = k; j < b * n && V > 0; j += modes) {
            double e = T.m * u0[j] - from.A[j % n];
            sum[j / n] += .5 * (V / W - 1 - log(V / W) + e * e / W);
        }
    }
    int draws = pairs ? pairs : 1, nodes = 3 * how->steps;
    for (int j = 0; j <= nodes && !st->code; j++) {                   /* the last one is the end */
        double t = how->t[how->steps], w = 1. / (2 * draws), step[2] = { t, t };
        if (j < nodes) {
            step[0] = how->t[j / 3 + 1], step[1] = how->t[j / 3];
            t = proc_clock(p, step[0], step[1], step[0] + gauss3[j % 3] * (step[1] - step[0]));
            w *= gauss3w[j % 3] * (step[1] - step[0]);
        }
        for (int i = 0; i < b; i++) tb[i] = t;
        for (int q = 0; q < 2 * draws; q++) {
            elbo_draw(how, pairs, fd_stream(r, 'e', (uint32_t)(j * draws + q / 2)), q, first, b,
                      xi, x, scratch);
            lin_apply(__func__, p, b, tb, pair_noise, NULL, 2, INPUTS(x0, xi), x, scratch);
            elbo_add(how, j < nodes ? ELBO_PATH : ELBO_END, w, step, b, x, tb, from.mu, u0,
                     sum + (j < nodes ? 2 : 1) * b, scratch);
        }
    }
    for (int i = 0; i < b && !st->code; i++) {
        nll[i] = sum[i] + sum[b + i] + sum[2 * b + i];
        for (int j = 0; j < 3 && part; j++) part[i * 3 + j] = sum[j * b + i];
    }
}

/* ---- Exact laws ------------------------------------------------------------------------------ *
 *
 * With a model that is affine in each mode so is every move, x' = a x + b + n xi. A move is given,
 * all modes at once, the functions M - S and M + S, a third one for a check, and M - S with noise
 * S, where M has the means as coefficients and S the largest of them, 1 at least, with random
 * signs. What comes out says
 *
 *     M' = a M + b,    P' = a^2 P + n^2 lam
 *
 * and no formula of a scheme is written a second time. pf-multistep remembers its last D, too. With
 * d' = g x + .., x' = a x + c d + .., Q = Cov(x, d), R = Var(d),
 *
 *     P' = a^2 P + 2 a c Q + c^2 R,    Q' = g (a P + c Q),    R' = g^2 P.
 *
 * Rounding is that of fd_real, relative to the largest a and g, which are 1/m where there is no
 * noise: the modes in which they are large are known from a first pass, and have S = 0 in the
 * second one, which says the rest. The steps of pf-adaptive follow what they see: there |S| =
 * sqrt(P), and all functions share the steps. */

typedef struct {
    double *M, *P, *D, *Q, *R;        /* [ch][modes]: of x; the mean of the last D, Q and R */
    fd_real *sign;                    /* [2][ch][modes]: of S, of the check */
    int two;                          /* there is a last D */
} law_state;

/* what a move makes of coefficient j: M, D and the factors a, g and r, which is c or n */
typedef struct { double M, D, a, g, r, len; } law_map;

/* The maps of all coefficients, with a, g and r where len, which is |S|, is above 0. Returns
 * whether there are factors above LAW_LARGE; the len of these is then 0. */
enum { LAW_LARGE = 1000 };
static int law_probe(const fd_sampler *how, const step_move *m, double before, const law_state *w,
                     int two, law_map *f, fd_arena scratch)
{
    const fd_space *s = &how->p->noise->s;
    ptrdiff_t n = s->ch * s->modes, most = n > fd_size(s) ? n : fd_size(s);
    int rows = m->noisy || two ? 4 : 3, far = how->scheme == FD_PF_ADAPTIVE ? 1 : 2, large = 0;
    double tol = sizeof(fd_real) == 8 ? 1e-8 : 1e-3, top = 0, off = 0;
    fd_real *x = fd_new(&scratch, fd_real, rows * most);
    fd_real *d = fd_new(&scratch, fd_real, rows * most);
    fd_real *e = fd_new(&scratch, fd_real, rows * most);              /* the noise, or the last D */
    if (!e) return 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double M = w->M[j], len = f[j].len, S = len * (double)w->sign[j];
        x[j] = (fd_real)(M - S), x[n + j] = (fd_real)(M + S);
        x[2 * n + j] = (fd_real)(M + far * len * (double)w->sign[n + j]);
        for (int i = 0; i < 3 && two; i++) e[i * n + j] = (fd_real)w->D[j];
        if (rows == 3) continue;
        x[3 * n + j] = x[j];
        e[3 * n + j] = (fd_real)((two ? w->D[j] : 0) + S);
    }
    fd_from_modes(s, rows, x, x, scratch);
    fd_from_modes(s, rows, e, e, scratch);
    step_make_move(how, m, before, two ? e : NULL, rows, x, m->noisy ? e : NULL, d, scratch);
    if (scratch.st->code) return 0;
    if (!step_finite(rows * fd_size(s), x))
        return FD_FAIL(scratch.st, FD_ENAN, "fd_exact_law", "the law is not finite"), 0;
    fd_to_modes(s, rows, x, x, scratch);
    fd_to_modes(s, rows, d, d, scratch);
    for (ptrdiff_t j = 0; j < n && !scratch.st->code; j++) {
        law_map *y = &f[j];
        double len = y->len, per = len > 0 ? (double)w->sign[j] / len : 0;
        y->M = .5 * ((double)x[j] + x[n + j]);
        y->D = .5 * ((double)d[j] + d[n + j]);
        if (!(len > 0)) continue;
        y->a = .5 * ((double)x[n + j] - x[j]) * per;
        y->g = .5 * ((double)d[n + j] - d[j]) * per;
        y->r = rows == 4 ? ((double)x[3 * n + j] - x[j]) * per : 0;
        top = fmax(top, fabs(x[n + j]) + fabs(x[j]) + fabs(d[n + j]) + fabs(d[j]));
        off = fmax(off, fabs(x[2 * n + j] - y->M - far * y->a * len * (double)w->sign[n + j]));
        if (fmax(fabs(y->a), fabs(y->g)) <= LAW_LARGE) continue;
        large = 1;
        y->len = 0;
    }
    if (off > tol * top)
        FD_FAIL(scratch.st, FD_EARG, "fd_exact_law",
                "the model is not affine in each mode by itself");
    return large;
}

/* the state after a move */
static void law_move(const fd_sampler *how, const step_move *m, double before, law_state *w,
                     fd_arena scratch)
{
    const fd_cov *c = how->p->noise;
    ptrdiff_t n = c->s.ch * c->s.modes;
    int two = w->two && m->what == MOVE_PREDICT && how->scheme == FD_PF_MULTISTEP;
    double size = 1;
    law_map *f = fd_new(&scratch, law_map, n);
    if (!f) return;
    for (ptrdiff_t j = 0; j < n; j++) size = fmax(size, fabs(w->M[j]));
    for (ptrdiff_t j = 0; j < n; j++)                 /* 0 in modes that nothing ever reaches */
        f[j].len = how->scheme == FD_PF_ADAPTIVE ? sqrt(w->P[j])
                 : w->P[j] > 0 || c->lam[j % c->s.modes] > 0 ? size : 0;
    if (law_probe(how, m, before, w, two, f, scratch) && how->scheme != FD_PF_ADAPTIVE)
        law_probe(how, m, before, w, two, f, scratch);
    for (ptrdiff_t j = 0; j < n && !scratch.st->code; j++) {
        double a = f[j].a, r = f[j].r, P = w->P[j], Q = w->Q[j], R = w->R[j];
        w->M[j] = f[j].M;
        w->P[j] = a * a * P + (two ? 2 * a * r * Q + r * r * R : r * r * c->lam[j % c->s.modes]);
        w->Q[j] = a * Q;
        if (m->what != MOVE_PREDICT) continue;
        w->D[j] = f[j].D;
        w->Q[j] = f[j].g * (a * P + (two ? r * Q : 0));
        w->R[j] = f[j].g * f[j].g * P;
    }
    w->two |= m->what == MOVE_PREDICT;
}

void fd_start_law(const fd_sampler *how, double *mean, double *var, fd_arena scratch)
{
    if (!var || !step_ready(how, __func__, scratch.st)) return;
    if (!how->t) { FD_FAIL(scratch.st, FD_EARG, __func__, "needs steps and times"); return; }
    const fd_space *s = &how->p->noise->s;
    const trace_law from = trace_start(__func__, how, &scratch);
    for (ptrdiff_t j = 0; j < s->ch * s->modes && !scratch.st->code; j++) {
        if (mean) mean[j] = (double)from.A[j];
        var[j] = from.W[j % s->modes];
    }
}

void fd_exact_law(const fd_sampler *how, double *mean, double *var, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!var || !step_ready(how, __func__, st)) return;
    ptrdiff_t n = how->p->noise->s.ch * how->p->noise->s.modes;
    double *z = fd_new(&scratch, double, 5 * n);
    law_state w = { z, z + n, z + 2 * n, z + 3 * n, z + 4 * n, fd_raw(&scratch, fd_real, 2 * n),
                    0 };
    fd_sampler same = *how;
    same.pooled = 1;                                  /* pf-adaptive: the same steps for all rows */
    if (how->corrector >= FD_CORRECT_SNR)
        FD_FAIL(st, FD_EARG, __func__,
                "not affine: a step of the SNR corrector depends on the function");
    if (!step_times(how, __func__, st)) return;
    trace_sign(fd_stream(fd_seed(0), 'l', 0), 2 * n, w.sign);
    for (ptrdiff_t j = 0; j < n; j++) w.M[j] = mean ? mean[j] : 0, w.P[j] = var[j];
    for (int k = 0; k < how->steps; k++) {
        step_move m;
        for (int j = 0; !st->code && step_plan(how, k, j, &m); j++)
            law_move(&same, &m, how->t[k ? k - 1 : 0], &w, scratch);
    }
    if (st->code) return;
    if (mean) memcpy(mean, w.M, (size_t)n * sizeof *mean);
    memcpy(var, w.P, (size_t)n * sizeof *var);
}

/* ---- Two ends -------------------------------------------------------------------------------- *
 *
 * x = A x0 + B x1 + G z [Albergo et al. eqs. 2.1, 4.1]. For independent Gaussian ends, per mode,
 * with M = A M0 + B M1 and P = A^2 c0 + B^2 c1 + G^2 lam [Albergo et al. eqs. 4.3-4.5],
 *
 *     E[A' x0 + B' x1 + G' z | x] = M' + P'/2P (x - M),    E[z | x] = G lam/P (x - M)
 *
 * For mixtures [Albergo et al. app. A] that holds for each pair of components, with the odds of the
 * exact models above, W = softmax(log w0 w1 - 1/2 sum_k [log P + (x - M)^2/P]), with P raised. */

typedef struct { double v[3], d[3]; } ends_coef;              /* A, B, G and their derivatives */

/* A, B, G at r: the interpolant's own, or those of fd.h */
static ends_coef ends_law(const fd_interpolant *p, double r)
{
    fd_schedule *const f[3] = { p->A, p->B, p->G };
    ends_coef c = { { 1 - r, r, p->g * pow(sin(PI * r), 2) },
                    { -1, 1, p->g * PI * sin(2 * PI * r) } };
    for (int i = 0; i < 3; i++) {
        if (f[i]) c.v[i] = f[i](r, p->self, &c.d[i]);
        /* sin(PI) is not quite 0, but G is 0 at the ends, and with it P of point masses */
        if (fabs(c.v[i]) < 1e-15) c.v[i] = 0;
    }
    return c;
}

typedef struct { const fd_interpolant *p; int what; } ends_ctx;
enum { ENDS_STATE, ENDS_SLOPE };

/* A x0 + B x1 + G z, or with ENDS_SLOPE A' x0 + B' x1 + G' z */
static const char *ends_sum(const void *ctx, const fd_process *p, double r, double mu, double c[3])
{
    const ends_ctx *x = ctx;
    ends_coef f = ends_law(x->p, r);
    (void)p, (void)mu;
    memcpy(c, x->what == ENDS_STATE ? f.v : f.d, 3 * sizeof *c);
    return NULL;
}

/* ends_sum for b functions; lin_apply asks the process for its noise alone */
static void ends_apply(const char *where, const fd_interpolant *p, int what, int b,
                       const fd_real *x0, const fd_real *x1, const fd_real *z, const double *r,
                       fd_real *y, fd_arena scratch)
{
    ends_ctx ctx = { p, what };
    fd_process carrier = { .noise = p->noise };
    lin_apply(where, &carrier, b, r, ends_sum, &ctx, 3, INPUTS(x0, x1, z), y, scratch);
}

/* Has p a noise? */
static int ends_ready(const char *where, const fd_interpolant *p, fd_status *st)
{
    if (!st->code && !p->noise) FD_FAIL(st, FD_EARG, where, "the interpolant has no noise");
    return !st->code;
}

void fd_interpolant_draw(const fd_interpolant *p, fd_rng rng, int first, int b, const fd_real *x0,
                         const fd_real *x1, const double *r, fd_real *x, fd_real *z,
                         fd_arena scratch)
{
    if (!ends_ready(__func__, p, scratch.st)) return;
    if (!z) z = fd_raw(&scratch, fd_real, b * fd_size(&p->noise->s));
    if (!z) return;
    fd_cov_draw(p->noise, rng, first, b, z, scratch);
    ends_apply(__func__, p, ENDS_STATE, b, x0, x1, z, r, x, scratch);
}

void fd_interpolant_target(const fd_interpolant *p, int predicts, int b, const fd_real *x0,
                           const fd_real *x1, const fd_real *z, const double *r, fd_real *y,
                           fd_arena scratch)
{
    if (!ends_ready(__func__, p, scratch.st)) return;
    if (predicts == FD_NOISE) memmove(y, z, (size_t)b * (size_t)fd_size(&p->noise->s) * sizeof *y);
    else if (predicts == FD_VELOCITY)
        ends_apply(__func__, p, ENDS_SLOPE, b, x0, x1, z, r, y, scratch);
    else
        FD_FAIL(scratch.st, FD_EARG, __func__, "needs FD_VELOCITY or FD_NOISE; kind", predicts);
}

typedef struct { fd_interpolant p; int predicts; mix e[2]; } ends_model;
typedef struct { double P, S, M, dM; } ends_pair;              /* S = P'/2 */

/* the law of x_r from components i[0] and i[1] in mode k; at is k and the channel */
static ends_pair ends_get(const ends_model *o, const ends_coef *f, const int i[2], ptrdiff_t k,
                          ptrdiff_t at)
{
    const fd_space *s = &o->p.noise->s;
    double lam = o->p.noise->lam[k];
    ends_pair q = { f->v[2] * f->v[2] * lam, f->v[2] * f->d[2] * lam, 0, 0 };
    for (int e = 0; e < 2; e++) {
        const double *ci = o->e[e].c[i[e]];
        double c = ci ? ci[k] : 0, m = o->e[e].M[i[e] * s->ch * s->modes + at];
        q.P += f->v[e] * f->v[e] * c, q.S += f->v[e] * f->d[e] * c;
        q.M += f->v[e] * m, q.dM += f->d[e] * m;
    }
    return q;
}

/* The odds W [n0][n1] of the pairs. A mode that some pair may leave without variance stays out. */
static void ends_odds(const ends_model *o, const ends_coef *f, const fd_real *u, double *W)
{
    const fd_space *s = &o->p.noise->s;
    ptrdiff_t modes = s->modes, n = s->ch * modes;
    int pairs = o->e[0].n * o->e[1].n;
    if (pairs == 1) { W[0] = 1; return; }
    const double floor = oracle_floor(n, u);
    for (int q = 0; q < pairs; q++) {
        const int i[2] = { q / o->e[1].n, q % o->e[1].n }, first[2] = { 0, 0 };
        W[q] = o->e[0].logw[i[0]] + o->e[1].logw[i[1]];
        for (ptrdiff_t j = 0; j < n; j++) {
            ptrdiff_t k = j % modes;
            if (!(o->p.noise->lam[k] + o->e[0].low[k] + o->e[1].low[k] > 0)) continue;
            ends_pair x = ends_get(o, f, i, k, j), y = ends_get(o, f, first, k, j);
            double d = u[j] - x.M, P = x.P + floor;
            if (P > 0) W[q] -= .5 * (log(P / (y.P + floor)) + d * d / P);
        }
    }
    softmax(pairs, W);
}

/* u or e: sum_q W_q (M'_q + slope (x - M_q)) over pairs q; for e without M' */
static void ends_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *r,
                      fd_real *y, fd_arena scratch)
{
    const ends_model *o = self;
    ptrdiff_t n = s->ch * s->modes;
    if (!space_fits(scratch.st, "fd_oracle_interpolant", s, &o->p.noise->s)) return;
    int pairs = o->e[0].n * o->e[1].n;
    fd_real *u = fd_raw(&scratch, fd_real, b * n);
    double *W = fd_raw(&scratch, double, pairs);
    if (!W) return;
    fd_to_modes(s, b, x, u, scratch);
    for (int l = 0; l < b; l++) {
        ends_coef f = ends_law(&o->p, r[l]);
        fd_real *ul = u + l * n;
        ends_odds(o, &f, ul, W);
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = 0, gain = f.v[2] * o->p.noise->lam[j % s->modes];
            for (int q = 0; q < pairs; q++) {
                const int i[2] = { q / o->e[1].n, q % o->e[1].n };
                ends_pair g = ends_get(o, &f, i, j % s->modes, j);
                double slope = g.P > 0 ? (o->predicts == FD_NOISE ? gain : g.S) / g.P : 0;
                sum += W[q] * ((o->predicts == FD_NOISE ? 0 : g.dM) + slope * (ul[j] - g.M));
            }
            ul[j] = (fd_real)sum;
        }
    }
    fd_from_modes(s, b, u, y, scratch);
}

fd_model fd_oracle_interpolant_mix(fd_arena *a, const fd_interpolant *p, int predicts,
                                   const fd_mix *end0, const fd_mix *end1)
{
    const char *where = "fd_oracle_interpolant";
    if (!ends_ready(where, p, a->st)) return (fd_model){ 0 };
    if (predicts != FD_VELOCITY && predicts != FD_NOISE)
        FD_FAIL(a->st, FD_EARG, where, "needs FD_VELOCITY or FD_NOISE; kind", predicts);
    ends_model *o = fd_new(a, ends_model, 1);
    if (!o) return (fd_model){ 0 };
    o->p = *p;
    o->predicts = predicts;
    o->e[0] = mix_new(a, where, &p->noise->s, end0);
    o->e[1] = mix_new(a, where, &p->noise->s, end1);
    return a->st->code ? (fd_model){ 0 } : (fd_model){ predicts, ends_eval, NULL, NULL, o, NULL };
}

fd_model fd_oracle_interpolant(fd_arena *a, const fd_interpolant *p, int predicts,
                               const fd_real *mean0, const fd_cov *c0, const fd_real *mean1,
                               const fd_cov *c1)
{
    if (!c0 || !c1) return (fd_model){ 0 };
    return fd_oracle_interpolant_mix(a, p, predicts, &(fd_mix){ 1, NULL, mean0, &c0 },
                                     &(fd_mix){ 1, NULL, mean1, &c1 });
}

/* k = way u - c e, way = 1 from r = 0 to 1 [Albergo et al. eqs. 2.32-2.34] */
static void ends_slope(const fd_model *u, const fd_model *e, double c, double way,
                       const fd_space *s, int b, const fd_real *x, const double *r, fd_real *k,
                       fd_real *work, fd_arena scratch)
{
    ptrdiff_t n = b * fd_size(s);
    u->eval(u->self, s, b, x, r, k, scratch);
    if (c > 0 && !scratch.st->code) e->eval(e->self, s, b, x, r, work, scratch);
    if (!scratch.st->code) step_sum(n, c > 0 ? 2 : 1, way, k, -c, work, 0, NULL, k);
}

void fd_interpolant_step(const fd_interpolant *p, const fd_model *u, const fd_model *e, double c,
                         double r, double to, int b, fd_real *x, const fd_real *xi,
                         fd_arena scratch)
{
    if (!ends_ready(__func__, p, scratch.st)) return;
    if (!(c >= 0) || !u->eval || u->predicts != FD_VELOCITY
        || (c > 0 && (!e || !e->eval || e->predicts != FD_NOISE)))
        FD_FAIL(scratch.st, FD_EARG, __func__,
                "needs a model of the velocity, and for c > 0 one of the noise");
    const fd_space *s = &p->noise->s;
    ptrdiff_t n = b * fd_size(s);
    double h = fabs(to - r), way = to > r ? 1 : -1, v = 0;
    fd_real *k = fd_raw(&scratch, fd_real, n), *k2 = fd_raw(&scratch, fd_real, n);
    fd_real *y = fd_raw(&scratch, fd_real, n), *work = fd_raw(&scratch, fd_real, n);
    double *rb = lin_at(&scratch, b, r), *tb = lin_at(&scratch, b, to);
    if (!tb) return;
    for (int i = 0; i < 3; i++)
        v += 2 * c * h * gauss3w[i] * ends_law(p, r + gauss3[i] * (to - r)).v[2];
    int nin = c > 0 && xi ? 3 : 2;
    ends_slope(u, e, c, way, s, b, x, rb, k, work, scratch);
    if (scratch.st->code) return;
    step_sum(n, nin, 1, x, h, k, sqrt(v), xi, y);
    ends_slope(u, e, c, way, s, b, y, tb, k2, work, scratch);
    if (scratch.st->code) return;
    step_sum(n, 2, .5, k, .5, k2, 0, NULL, k);
    step_sum(n, nin, 1, x, h, k, sqrt(v), xi, x);
}

/* ---- Any scalar SDE -------------------------------------------------------------------------- */

void fd_sde_step(const fd_sde *e, int scheme, double t, double h, ptrdiff_t n, fd_real *x,
                 const fd_real *dW, fd_arena scratch)
{
    if (scratch.st->code) return;
    if (scheme < FD_SDE_EULER || scheme > FD_SDE_PLATEN || !(h > 0)
        || (scheme == FD_SDE_MILSTEIN && !e->dg))
        FD_FAIL(scratch.st, FD_EARG, __func__, "no such scheme, no derivative, or h <= 0", scheme);
    fd_real *f = fd_raw(&scratch, fd_real, n), *g = fd_raw(&scratch, fd_real, n);
    fd_real *y = fd_raw(&scratch, fd_real, n), *g2 = fd_raw(&scratch, fd_real, n);
    if (!g2) return;
    e->f(e->self, n, x, t, f);
    e->g(e->self, n, x, t, g);
    double root = sqrt(h);
    if (scheme == FD_SDE_MILSTEIN) e->dg(e->self, n, x, t, g2);
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (fd_real)(x[i] + h * f[i] + root * g[i]);
    if (scheme == FD_SDE_PLATEN) e->g(e->self, n, y, t, g2);
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (fd_real)(x[i] + h * f[i] + (double)dW[i] * g[i]);
    for (ptrdiff_t i = 0; i < n && scheme != FD_SDE_EULER; i++) {
        double dg = scheme == FD_SDE_PLATEN ? ((double)g2[i] - g[i]) / root : (double)g[i] * g2[i];
        /* a sum of its own, so that dg = 0 changes no bit */
        x[i] = (fd_real)(x[i] + .5 * dg * ((double)dW[i] * dW[i] - h));
    }
}

/* ==== II. Observations, guidance, particles =================================================== *
 *
 *     code     meaning
 *     y        what is observed, m numbers          y = F(x) + eta, eta ~ N(0, Gamma)
 *     A        F where it is linear, else DF(D)     A* its adjoint in L2: <A* w, h> = w^T A h
 *     L        Gamma = L L^T; 1 where there is no noise
 *     r, z     a residual y - F(x), and Q^-1 r for some Q = rho A C A* + kappa Gamma
 *     J        dD/dx of a model, J* its adjoint in L2
 *
 * Gradients in the values at the points are weight times those in L2 (space_riesz). Of numbers
 * [b][m] everything is double. */

/* ---- Observations ---------------------------------------------------------------------------- *
 *
 * Some go through coefficients: y_i = <E_i, u>, u the coefficients of channel ch_i, so that the
 * adjoint in L2 has the coefficients sum_i w_i E_i. Others act on values: y = A x,
 * A* w = A^T w / weight. */

/* an observation of our own; apply and transpose are chosen by what is set */
typedef struct {
    int m, riesz;                /* riesz: rows of A are functions, and products with them in L2 */
    const fd_real *A;            /* rows on values [m][ch][points] */
    /* E_i of places: of the first axes front [n][m], of the last one back [m][modes/n] */
    const fd_real *front, *back;
    int n, *ch;                  /* ch: of each place */
    const ptrdiff_t *index;      /* of each value that is picked */
    const double *mul;           /* of each mode */
} obs_own;

/* the weight of point i, in any channel */
static double space_weight(const fd_space *s, ptrdiff_t i)
{
    return s->weight ? (double)s->weight[i % s->points] : s->h;
}

/* b gradients in the values become those in L2, with up = 1, or back: up divides by the weights */
static void space_riesz(const fd_space *s, int up, int b, fd_real *g)
{
    for (ptrdiff_t i = 0; i < b * fd_size(s); i++) {
        double w = space_weight(s, i);
        g[i] = (fd_real)(up ? (double)g[i] / w : (double)g[i] * w);
    }
}

/* obs_rows_apply, obs_rows_transpose -- y_p = sum_k E_pk u_k of the place's channel, and its
 * transpose. E_p is a product over axes: of mode k = (f, l), front[f][p] of the first axes and
 * back[p][l] of the last.
 *
 * The fast bodies make the sums over the last axis first, for all places as a product of matrices,
 * then those over the others. They take some functions at a time, so that T, OBS_SOME numbers at
 * most, stays in a cache. */
#ifdef FD_PLAIN
static void obs_rows_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                           fd_arena scratch)
{
    const obs_own *o = self;
    const ptrdiff_t m = o->m, last = s->modes / o->n;
    fd_real *u = fd_raw(&scratch, fd_real, b * s->ch * s->modes);
    if (!u) return;
    fd_to_modes(s, b, x, u, scratch);
    for (ptrdiff_t i = 0; i < b * m && !scratch.st->code; i++) {
        const ptrdiff_t p = i % m;
        const fd_real *v = u + (i / m * s->ch + o->ch[p]) * s->modes;
        y[i] = 0;
        for (ptrdiff_t k = 0; k < s->modes; k++)
            y[i] += (double)o->front[k / last * m + p] * (double)o->back[p * last + k % last]
                    * (double)v[k];
    }
}

static void obs_rows_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                               const double *w, fd_real *g, fd_arena scratch)
{
    const obs_own *o = self;
    const ptrdiff_t m = o->m, last = s->modes / o->n;
    fd_real *u = fd_new(&scratch, fd_real, b * s->ch * s->modes);
    (void)x;
    if (!u) return;
    for (ptrdiff_t i = 0; i < b * m; i++) {
        const ptrdiff_t p = i % m;
        fd_real *v = u + (i / m * s->ch + o->ch[p]) * s->modes;
        for (ptrdiff_t k = 0; k < s->modes; k++)
            v[k] += (fd_real)(w[i] * (double)o->front[k / last * m + p]
                              * (double)o->back[p * last + k % last]);
    }
    fd_from_modes(s, b, u, g, scratch);
    if (!scratch.st->code) space_riesz(s, 0, b, g);
}
#else
enum { OBS_SOME = 1 << 19 };

/* u [b][modes] is channel c of the coefficients v [b][ch][modes]; up = 1 writes it back into v */
static void obs_channel(const fd_space *s, int b, int c, int up, fd_real *v, fd_real *u)
{
    for (int i = 0; i < b; i++) {
        fd_real *at = v + ((ptrdiff_t)i * s->ch + c) * s->modes, *to = u + (ptrdiff_t)i * s->modes;
        memcpy(up ? at : to, up ? to : at, (size_t)s->modes * sizeof *u);
    }
}

static void obs_rows_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                           fd_arena scratch)
{
    const obs_own *o = self;
    const int m = o->m, n = o->n, last = (int)(s->modes / n);
    int some = OBS_SOME / ((ptrdiff_t)n * m) < 1 ? 1 : (int)(OBS_SOME / ((ptrdiff_t)n * m));
    if (some > b) some = b;
    fd_real *u = fd_raw(&scratch, fd_real, (ptrdiff_t)b * s->ch * s->modes);
    fd_real *v = fd_raw(&scratch, fd_real, some * s->modes);
    fd_real *T = fd_raw(&scratch, fd_real, (ptrdiff_t)some * n * m);
    double *sum = fd_raw(&scratch, double, m);
    if (!sum) return;
    fd_to_modes(s, b, x, u, scratch);
    for (int c = 0; c < s->ch; c++)
        for (int i = 0, count; i < b && !scratch.st->code; i += count) {
            count = b - i < some ? b - i : some;
            obs_channel(s, count, c, 0, u + (ptrdiff_t)i * s->ch * s->modes, v);
            fd_gemm(0, 1, count * n, m, last, 1, v, last, o->back, last, 0, T, m, scratch);
            for (int k = 0; k < count && !scratch.st->code; k++) {
                memset(sum, 0, (size_t)m * sizeof *sum);
                for (int f = 0; f < n; f++) {
                    const fd_real *t = T + ((ptrdiff_t)k * n + f) * m,
                        *e = o->front + (ptrdiff_t)f * m;
                    for (int p = 0; p < m; p++) sum[p] += (double)t[p] * (double)e[p];
                }
                for (int p = 0; p < m; p++)
                    if (o->ch[p] == c) y[(ptrdiff_t)(i + k) * m + p] = sum[p];
            }
        }
}

static void obs_rows_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                               const double *w, fd_real *g, fd_arena scratch)
{
    const obs_own *o = self;
    const int m = o->m, n = o->n, last = (int)(s->modes / n);
    int some = OBS_SOME / ((ptrdiff_t)n * m) < 1 ? 1 : (int)(OBS_SOME / ((ptrdiff_t)n * m));
    if (some > b) some = b;
    fd_real *u = fd_raw(&scratch, fd_real, (ptrdiff_t)b * s->ch * s->modes);
    fd_real *v = fd_raw(&scratch, fd_real, some * s->modes);
    fd_real *T = fd_raw(&scratch, fd_real, (ptrdiff_t)some * n * m);
    (void)x;
    if (!T) return;
    for (int c = 0; c < s->ch; c++)
        for (int i = 0, count; i < b && !scratch.st->code; i += count) {
            count = b - i < some ? b - i : some;
            for (int k = 0; k < count; k++)
                for (int f = 0; f < n; f++) {
                    const double *wi = w + (ptrdiff_t)(i + k) * m;
                    fd_real *t = T + ((ptrdiff_t)k * n + f) * m;
                    const fd_real *e = o->front + (ptrdiff_t)f * m;
                    for (int p = 0; p < m; p++)
                        t[p] = o->ch[p] == c ? (fd_real)(wi[p] * (double)e[p]) : 0;
                }
            fd_gemm(0, 0, count * n, last, m, 1, T, m, o->back, last, 0, v, last, scratch);
            obs_channel(s, count, c, 1, u + (ptrdiff_t)i * s->ch * s->modes, v);
        }
    fd_from_modes(s, b, u, g, scratch);
    if (!scratch.st->code) space_riesz(s, 0, b, g);
}
#endif

/* values at points by their index */
static void obs_picks_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                            fd_arena scratch)
{
    const obs_own *o = self;
    const int m = o->m;
    (void)scratch;
    for (int i = 0; i < b; i++)
        for (int j = 0; j < m; j++)
            y[(ptrdiff_t)i * m + j] = (double)x[i * fd_size(s) + o->index[j]];
}

static void obs_picks_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                                const double *w, fd_real *g, fd_arena scratch)
{
    const obs_own *o = self;
    const int m = o->m;
    (void)x, (void)scratch;
    memset(g, 0, (size_t)b * (size_t)fd_size(s) * sizeof *g);
    for (int i = 0; i < b; i++)
        for (int j = 0; j < m; j++)
            g[i * fd_size(s) + o->index[j]] += (fd_real)w[(ptrdiff_t)i * m + j];
}

/* rows on values, or functions */
static void obs_full_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                           fd_arena scratch)
{
    const obs_own *o = self;
    const int m = o->m;
    const ptrdiff_t n = fd_size(s);
    (void)scratch;
    FD_PARALLEL_IF((double)b * m * n > LIN_SERIAL)
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * m; i++) {
        const fd_real *a = o->A + i % m * n, *xi = x + i / m * n;
        double sum = 0;
        for (ptrdiff_t j = 0; j < n; j++)
            sum += (double)a[j] * (double)xi[j] * (o->riesz ? space_weight(s, j) : 1);
        y[i] = sum;
    }
}

static void obs_full_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                               const double *w, fd_real *g, fd_arena scratch)
{
    const obs_own *o = self;
    const int m = o->m;
    const ptrdiff_t n = fd_size(s);
    (void)x, (void)scratch;
    FD_PARALLEL_IF((double)b * m * n > LIN_SERIAL)
    for (int i = 0; i < b; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < m; k++) sum += w[(ptrdiff_t)i * m + k] * (double)o->A[k * n + j];
            g[i * n + j] = (fd_real)(o->riesz ? sum * space_weight(s, j) : sum);
        }
}

/* y = B x, B diagonal in the modes of a grid and so its own transpose */
static void obs_modal_run(const obs_own *o, const fd_space *s, int b, const fd_real *x, fd_real *y,
                          fd_arena scratch)
{
    ptrdiff_t n = b * fd_size(s);
    fd_real *u = fd_raw(&scratch, fd_real, n);
    if (!u) return;
    fd_to_modes(s, b, x, u, scratch);
    if (scratch.st->code) return;
    for (ptrdiff_t i = 0; i < n; i++) u[i] = (fd_real)((double)u[i] * o->mul[i % s->modes]);
    fd_from_modes(s, b, u, y, scratch);
}

static void obs_modal_apply(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                            fd_arena scratch)
{
    ptrdiff_t n = b * fd_size(s);
    fd_real *z = fd_raw(&scratch, fd_real, n);
    obs_modal_run(self, s, b, x, z, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++) y[i] = (double)z[i];
}

static void obs_modal_transpose(const void *self, const fd_space *s, int b, const fd_real *x,
                                const double *w, fd_real *g, fd_arena scratch)
{
    (void)x;
    for (ptrdiff_t i = 0; i < b * fd_size(s); i++) g[i] = (fd_real)w[i];
    obs_modal_run(self, s, b, g, g, scratch);
}

/* a linear observation from what is set in own; an empty one where it failed */
static fd_obs obs_new(fd_arena *a, const char *where, const fd_space *s, int m, const obs_own *own)
{
    fd_obs none = { .m = 0 };
    obs_own *o = fd_new(a, obs_own, 1);
    if (!o || !s || !fd_size(s)) return none;
    if (m < 1) return FD_FAIL(a->st, FD_EARG, where, "needs observations; number of them", m), none;
    *o = *own;
    o->m = m;
    fd_obs r = { .s = *s, .m = m, .linear = 1, .self = o, .mul = own->mul };
    r.apply = own->mul ? obs_modal_apply : own->index ? obs_picks_apply
            : own->ch ? obs_rows_apply : obs_full_apply;
    r.transpose = own->mul ? obs_modal_transpose : own->index ? obs_picks_transpose
                : own->ch ? obs_rows_transpose : obs_full_transpose;
    return r;
}

/* values at places, or, with half, means over boxes about them */
static fd_obs obs_places(fd_arena *a, const char *where, const fd_space *s, int m, const double *at,
                         const double *half, const int *ch)
{
    fd_status *st = a->st;
    if (st->code || !s || !fd_size(s)) return (fd_obs){ .m = 0 };
    if (m < 1 || s->basis || !at)
        return obs_new(a, where, s, s->basis || !at ? 0 : m, &(obs_own){ 0 });
    for (int i = 0; i < m; i++) {
        for (int d = 0; d < s->nd; d++)
            if (!(at[i * s->nd + d] >= 0 && at[i * s->nd + d] <= s->len[d]))
                FD_FAIL(st, FD_EARG, where, "a place is outside the domain: observation, axis", i,
                        d);
        if (ch && (ch[i] < 0 || ch[i] >= s->ch))
            FD_FAIL(st, FD_EARG, where, "no such channel: observation, channel", i, ch[i]);
    }
    const int last = s->nd - 1, n = (int)(s->modes / s->n[last]);
    fd_real *front = fd_raw(a, fd_real, (ptrdiff_t)n * m);
    fd_real *back = fd_raw(a, fd_real, (ptrdiff_t)m * s->n[last]);
    int *own = fd_new(a, int, m);
    if (st->code) return (fd_obs){ .m = 0 };
    if (ch) memcpy(own, ch, (size_t)m * sizeof *own);
    fd_arena scratch = *a;
    for (int part = 0; part < 2 && !st->code; part++) {    /* the first axes, the last one */
        const int from = part ? last : 0, nd = part ? 1 : last;
        fd_real *E = part ? back : fd_raw(&scratch, fd_real, (ptrdiff_t)n * m);
        double *place = fd_raw(&scratch, double, 2 * (ptrdiff_t)m * (nd ? nd : 1));
        double *wide = place + (ptrdiff_t)m * nd;
        if (st->code) break;
        for (int i = 0; i < m; i++)
            for (int d = 0; d < nd; d++) {
                place[i * nd + d] = at[i * s->nd + from + d];
                wide[i * nd + d] = half ? half[i * s->nd + from + d] : 0;
            }
        if (!nd) {
            for (int i = 0; i < m; i++) front[i] = 1;
            continue;
        }
        fd_space axes = fd_grid(&scratch, nd, s->n + from, s->len + from, s->bc + from, 1);
        fd_modes_at(&axes, m, place, half ? wide : NULL, E);
        for (int i = 0; i < m && !part; i++)
            for (int f = 0; f < n; f++) front[(ptrdiff_t)f * m + i] = E[(ptrdiff_t)i * n + f];
    }
    return obs_new(a, where, s, m, &(obs_own){ .front = front, .back = back, .n = n, .ch = own });
}

fd_obs fd_obs_points(fd_arena *a, const fd_space *s, int m, const double *at, const int *ch)
{
    return obs_places(a, __func__, s, m, at, NULL, ch);
}

fd_obs fd_obs_boxes(fd_arena *a, const fd_space *s, int m, const double *at, const double *half,
                    const int *ch)
{
    for (int i = 0; half && i < m * (s ? s->nd : 0) && !a->st->code; i++)
        if (!(half[i] >= 0 && isfinite(half[i])))
            FD_FAIL(a->st, FD_EARG, __func__, "a half width is negative or not finite; entry", i);
    return obs_places(a, __func__, s, m, at, half, ch);
}

fd_obs fd_obs_coarse(fd_arena *a, const fd_space *s, const fd_space *coarse)
{
    fd_status *st = a->st;
    if (st->code || !s || !coarse || !fd_size(s) || !fd_size(coarse)) return (fd_obs){ .m = 0 };
    int same = s->nd && s->nd == coarse->nd && s->ch == coarse->ch;
    for (int d = 0; d < s->nd && same; d++)
        same = s->bc[d] == coarse->bc[d] && fabs(s->len[d] - coarse->len[d]) <= 1e-12 * s->len[d];
    if (!same)
        return FD_FAIL(st, FD_ESHAPE, __func__,
                       "grids of other axes, lengths, boundaries or channels"), (fd_obs){ .m = 0 };
    ptrdiff_t size = fd_size(coarse);
    if (size > INT_MAX / 3)
        return FD_FAIL(st, FD_EARG, __func__, "too many points", size), (fd_obs){ .m = 0 };
    double *at = fd_raw(a, double, size * s->nd);
    int *ch = fd_raw(a, int, size);
    if (!ch) return (fd_obs){ .m = 0 };
    for (ptrdiff_t i = 0; i < size; i++) {
        int j[3];
        fd_mode(coarse, i % coarse->points, j);           /* points are numbered as modes are */
        for (int d = 0; d < s->nd; d++) at[i * s->nd + d] = fd_coord(coarse, d, j[d]);
        ch[i] = (int)(i / coarse->points);
    }
    return obs_places(a, __func__, s, (int)size, at, NULL, ch);
}

fd_obs fd_obs_pick(fd_arena *a, const fd_space *s, int m, const ptrdiff_t *index)
{
    if (!s || !fd_size(s)) return (fd_obs){ .m = 0 };
    for (int i = 0; index && i < m; i++)
        if (index[i] < 0 || index[i] >= fd_size(s))
            FD_FAIL(a->st, FD_EARG, __func__, "no such value: observation, index, values", i,
                    index[i], fd_size(s));
    ptrdiff_t *own = fd_raw(a, ptrdiff_t, index && m > 0 ? m : 0);
    if (!own) return (fd_obs){ .m = 0 };
    if (index && m > 0) memcpy(own, index, (size_t)m * sizeof *own);
    return obs_new(a, __func__, s, index ? m : 0, &(obs_own){ .index = own });
}

fd_obs fd_obs_matrix(fd_arena *a, const fd_space *s, int m, const fd_real *A)
{
    return obs_new(a, __func__, s, A ? m : 0, &(obs_own){ .A = A });
}

fd_obs fd_obs_functions(fd_arena *a, const fd_space *s, int m, const fd_real *phi)
{
    return obs_new(a, __func__, s, phi ? m : 0, &(obs_own){ .A = phi, .riesz = 1 });
}

fd_obs fd_obs_modal(fd_arena *a, const fd_space *s, const double *mul)
{
    if (a->st->code || !s || !fd_size(s)) return (fd_obs){ .m = 0 };
    if (s->basis || !mul || fd_size(s) > INT_MAX)
        return FD_FAIL(a->st, FD_EARG, __func__, "needs a grid and factors"), (fd_obs){ .m = 0 };
    for (ptrdiff_t k = 0; k < s->modes; k++)
        if (!isfinite(mul[k]))
            return FD_FAIL(a->st, FD_EDATA, __func__, "a factor is not finite; mode",
                           k), (fd_obs){ .m = 0 };
    double *own = fd_raw(a, double, s->modes);
    if (!own) return (fd_obs){ .m = 0 };
    memcpy(own, mul, (size_t)s->modes * sizeof *own);
    return obs_new(a, __func__, s, (int)fd_size(s), &(obs_own){ .mul = own });
}

/* --- Noise: Gamma = L L^T --- */

/* Has it noise? */
static int obs_noisy(const fd_obs *o) { return o->chol || o->each || o->sd > 0; }

/* Gamma_ij, j <= i */
static double obs_gamma(const fd_obs *o, int i, int j)
{
    double sum = 0;
    if (!o->chol) return i != j ? 0 : o->each ? o->each[i] * o->each[i] : o->sd * o->sd;
    for (int k = 0; k <= j; k++)
        sum += o->chol[(ptrdiff_t)i * o->m + k] * o->chol[(ptrdiff_t)j * o->m + k];
    return sum;
}

void fd_obs_noise(fd_arena *a, fd_obs *o, double sd)
{
    if (a->st->code || o->m < 1) return;
    if (!(sd >= 0 && isfinite(sd)))
        FD_FAIL(a->st, FD_EDATA, __func__, "the standard deviation is negative or not finite");
    else o->sd = sd, o->each = o->chol = NULL;
}

void fd_obs_noise_each(fd_arena *a, fd_obs *o, const double *sd)
{
    if (a->st->code || o->m < 1 || !sd) return;
    if (o->mul) FD_FAIL(a->st, FD_EARG, __func__, "fd_obs_modal has one standard deviation");
    for (int i = 0; i < o->m; i++)
        if (!(sd[i] > 0 && isfinite(sd[i])))
            FD_FAIL(a->st, FD_EDATA, __func__,
                    "a standard deviation is not positive and finite; observation", i);
    double *own = fd_raw(a, double, o->m);
    if (!own) return;
    memcpy(own, sd, (size_t)o->m * sizeof *own);
    o->each = own, o->chol = NULL, o->sd = 0;
}

void fd_obs_noise_cov(fd_arena *a, fd_obs *o, const double *cov)
{
    if (a->st->code || o->m < 1 || !cov) return;
    if (o->mul) FD_FAIL(a->st, FD_EARG, __func__, "fd_obs_modal has one standard deviation");
    size_t n = (size_t)o->m * (size_t)o->m;
    double *L = fd_raw(a, double, n);
    if (!L) return;
    memcpy(L, cov, n * sizeof *L);
    if (fd_cholesky(a->st, o->m, L)) return;
    o->chol = L, o->each = NULL, o->sd = 0;
}

/* r [m] becomes L r, L^-1 r or L^-T r; it stays as it is where there is no noise */
enum { NOISE_TIMES, NOISE_SOLVE, NOISE_SOLVE_T };
static void obs_chol(const fd_obs *o, int what, double *r)
{
    if (o->chol && what == NOISE_TIMES) {
        for (int i = o->m - 1; i >= 0; i--) {
            double sum = 0;
            for (int j = 0; j <= i; j++) sum += o->chol[(ptrdiff_t)i * o->m + j] * r[j];
            r[i] = sum;
        }
    } else if (o->chol) {
        fd_solve_lower(o->m, o->chol, what == NOISE_SOLVE_T, r);
    } else if (obs_noisy(o)) {
        for (int i = 0; i < o->m; i++) {
            double sd = o->each ? o->each[i] : o->sd;
            r[i] = what == NOISE_TIMES ? r[i] * sd : r[i] / sd;
        }
    }
}

/* eta [b][m] ~ N(0, Gamma), eta_i of stream (r, first + i) */
static void obs_noises(const fd_obs *o, fd_rng r, int first, int b, double *eta, fd_arena scratch)
{
    fd_real *z = fd_raw(&scratch, fd_real, o->m);
    memset(eta, 0, (size_t)b * (size_t)o->m * sizeof *eta);
    for (int i = 0; i < b && z && obs_noisy(o); i++, eta += o->m) {
        fd_normal(fd_stream(r, 'y', (uint32_t)(first + i)), o->m, z);
        for (int j = 0; j < o->m; j++) eta[j] = (double)z[j];
        obs_chol(o, NOISE_TIMES, eta);
    }
}

void fd_obs_draw(const fd_obs *o, fd_rng r, int first, int b, const fd_real *x, double *y,
                 fd_arena scratch)
{
    if (scratch.st->code || !o || o->m < 1 || !x || !y) return;
    double *eta = fd_raw(&scratch, double, (ptrdiff_t)b * o->m);
    if (!eta) return;
    o->apply(o->self, &o->s, b, x, y, scratch);
    obs_noises(o, r, first, b, eta, scratch);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * o->m && !scratch.st->code; i++) y[i] += eta[i];
}

void fd_obs_adjoint(const fd_obs *o, int b, const fd_real *x, const double *w, fd_real *g,
                    fd_arena scratch)
{
    if (scratch.st->code || !o || o->m < 1 || !w || !g) return;
    o->transpose(o->self, &o->s, b, x, w, g, scratch);
    if (!scratch.st->code) space_riesz(&o->s, 1, b, g);
}

/* f'(x) = sum_i diff_c[i] f(x + diff_at[i] h)/(12 h), of fourth order */
static const double diff_at[4] = { 1, -1, 2, -2 }, diff_c[4] = { 8, -8, -1, 1 };

double fd_obs_check(const fd_obs *o, const fd_real *x, fd_rng r, fd_arena scratch)
{
    if (scratch.st->code || !o || o->m < 1 || !x) return NAN;
    const ptrdiff_t n = fd_size(&o->s), m = o->m;
    const double h = pow(REAL_EPS, .2);
    fd_real *d = fd_raw(&scratch, fd_real, n), *g = fd_raw(&scratch, fd_real, n);
    fd_real *lots = fd_raw(&scratch, fd_real, m), *moved = fd_raw(&scratch, fd_real, n);
    double *w = fd_raw(&scratch, double, m), *y = fd_raw(&scratch, double, m);
    double *dF = fd_new(&scratch, double, m), size = 0, all = 0, left = 0, right = 0;
    if (!dF) return NAN;
    fd_normal(fd_stream(r, 'd', 0), n, d);
    fd_normal(fd_stream(r, 'w', 0), m, lots);
    for (ptrdiff_t i = 0; i < n; i++) size += (double)x[i] * (double)x[i] / (double)n;
    size = size > 0 ? sqrt(size) : 1;
    for (int k = 0; k < 4 && !scratch.st->code; k++) {
        for (ptrdiff_t i = 0; i < n; i++) moved[i] = x[i] + (fd_real)(diff_at[k] * h * size) * d[i];
        o->apply(o->self, &o->s, 1, moved, y, scratch);
        for (ptrdiff_t i = 0; i < m; i++) dF[i] += diff_c[k] * y[i] / (12 * h * size);
    }
    if (scratch.st->code) return NAN;
    for (ptrdiff_t i = 0; i < m; i++) {
        w[i] = (double)lots[i];
        all += dF[i] * dF[i], left += w[i] * dF[i];
    }
    o->transpose(o->self, &o->s, 1, o->linear ? NULL : x, w, g, scratch);
    for (ptrdiff_t i = 0; i < n; i++) right += (double)g[i] * (double)d[i];
    return scratch.st->code ? NAN : fabs(left - right) / (all > 0 ? sqrt(all) : 1);
}

double fd_obs_misfit(const fd_obs *o, const double *y, const fd_real *x, fd_real *g,
                     fd_arena scratch)
{
    double phi = 0;
    if (scratch.st->code || !o || o->m < 1 || !x) return NAN;
    double *r = fd_raw(&scratch, double, o->m);
    if (!r) return NAN;
    o->apply(o->self, &o->s, 1, x, r, scratch);
    if (scratch.st->code) return NAN;
    for (int i = 0; i < o->m; i++) r[i] -= y[i];
    obs_chol(o, NOISE_SOLVE, r);
    for (int i = 0; i < o->m; i++) phi += .5 * r[i] * r[i];
    if (g) {
        obs_chol(o, NOISE_SOLVE_T, r);
        fd_obs_adjoint(o, 1, x, r, g, scratch);
    }
    return scratch.st->code ? NAN : phi;
}

/* r = y - F(x) for b functions; y is [m] for all, or with each = 1 [b][m] */
static void obs_residual(const fd_obs *o, int b, const double *y, int each, const fd_real *x,
                         double *r, fd_arena scratch)
{
    if (scratch.st->code) return;
    o->apply(o->self, &o->s, b, x, r, scratch);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * o->m; i++) r[i] = y[each ? i : i % o->m] - r[i];
}

/* Is there an observation, and are its numbers finite? */
static int obs_ready(fd_status *st, const char *where, const fd_obs *o, const double *y)
{
    if (st->code || !o || o->m < 1) return 0;
    if (!y) return FD_FAIL(st, FD_EARG, where, "needs the numbers that were observed"), 0;
    for (int i = 0; i < o->m; i++)
        if (!isfinite(y[i]))
            return FD_FAIL(st, FD_EDATA, where, "an observation is not finite", i), 0;
    return 1;
}

/* Is it of functions on as many points as s has? */
static int obs_fits(fd_status *st, const char *where, const fd_obs *o, const fd_space *s)
{
    if (!st->code && fd_size(&o->s) != fd_size(s))
        FD_FAIL(st, FD_ESHAPE, where, "noise and observation have different points", s->points,
                o->s.points);
    return !st->code;
}

/* Is it linear? And is it ready, too? */
static int obs_linear(fd_status *st, const char *where, const fd_obs *o)
{
    if (!o->linear) FD_FAIL(st, FD_EARG, where, "needs a linear observation");
    return !st->code;
}
static int obs_given(fd_status *st, const char *where, const fd_obs *o, const double *y)
{
    return obs_ready(st, where, o, y) && obs_linear(st, where, o);
}

/* --- The gain ---
 *
 * With the rows of T = DF(x)^T as functions, (A C A*)_ij = <A* e_i, C A* e_j> =
 * sum_x T_i(x) (C A* e_j)(x). Of fd_obs_modal, with A* = B/h, the matrix A C A* + sd^2 has the
 * eigenvalues (mul^2 lam + h sd^2)/h. */

enum { GAIN_ROWS = 32 };                              /* functions at a time */

/* rows k.. of the identity [m][m], b of them, in e [rows][m] */
static void gain_units(int m, int rows, int k, int b, double *e)
{
    memset(e, 0, (size_t)rows * (size_t)m * sizeof *e);
    for (int i = 0; i < b; i++) e[(ptrdiff_t)i * m + k + i] = 1;
}

/* b rows of G [.][m], the products of K [b][ch][points] with all rows of T = DF(xs)^T; e and T are
 * room for `rows` of them. A nonlinear F offers no tangent, only its transpose, so T is made again
 * for each K. */
static void gain_rows(const fd_obs *o, const fd_real *xs, int rows, int b, const fd_real *K,
                      fd_real *T, double *e, double *G, fd_arena scratch)
{
    const int m = o->m;
    const ptrdiff_t n = fd_size(&o->s);
    for (int k = 0; k < m && !scratch.st->code; k += rows) {
        int r = m - k < rows ? m - k : rows;
        gain_units(m, rows, k, r, e);
        o->transpose(o->self, &o->s, r, xs, e, T, scratch);
        for (int i = 0; i < b; i++)
            for (int l = 0; l < r; l++) {
                double sum = 0;
                for (ptrdiff_t q = 0; q < n; q++)
                    sum += (double)K[i * n + q] * (double)T[l * n + q];
                G[(ptrdiff_t)i * m + k + l] = sum;
            }
    }
}

/* G [m][m] = L^-1 A C A* L^-T, symmetric */
static void gain_whiten(const fd_obs *o, double *G)
{
    const int m = o->m;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < i; j++) {
            double mid = .5 * (G[(ptrdiff_t)i * m + j] + G[(ptrdiff_t)j * m + i]);
            G[(ptrdiff_t)i * m + j] = G[(ptrdiff_t)j * m + i] = mid;
        }
    for (int twice = 0; twice < 2; twice++) {               /* rows, and then columns */
        for (int i = 0; i < m; i++) obs_chol(o, NOISE_SOLVE, G + (ptrdiff_t)i * m);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < i; j++) {
                double keep = G[(ptrdiff_t)i * m + j];
                G[(ptrdiff_t)i * m + j] = G[(ptrdiff_t)j * m + i], G[(ptrdiff_t)j * m + i] = keep;
            }
    }
}

fd_gain *fd_gain_new(fd_arena *a, const fd_obs *o, const fd_cov *c, const fd_real *x)
{
    fd_status *st = a->st;
    if (st->code || !o || o->m < 1 || !c) return NULL;
    const int m = o->m, rows = m < GAIN_ROWS ? m : GAIN_ROWS;
    const ptrdiff_t n = fd_size(&o->s);
    fd_gain *g = fd_new(a, fd_gain, 1);
    if (fd_size(&c->s) != n || (o->mul && !space_same(&o->s, &c->s)))
        FD_FAIL(st, FD_ESHAPE, __func__, "covariance and observation have different points",
                fd_size(&c->s), n);
    if (!o->linear && !x)
        FD_FAIL(st, FD_EARG, __func__, "a nonlinear observation needs a function to linearise at");
    double *w = fd_raw(a, double, o->mul ? o->s.modes : m);
    if (!w) return NULL;
    *g = (fd_gain){ .o = o, .c = c, .x = o->linear ? NULL : x, .w = w };
    for (ptrdiff_t k = 0; o->mul && k < o->s.modes; k++)
        w[k] = o->mul[k] * o->mul[k] * c->lam[k] / o->s.h;
    if (o->mul) return g;
    g->V = fd_raw(a, double, (size_t)m * (size_t)m);
    fd_arena scratch = *a;
    double *G = fd_raw(&scratch, double, (size_t)m * (size_t)m);
    double *e = fd_raw(&scratch, double, (ptrdiff_t)rows * m);
    fd_real *K = fd_raw(&scratch, fd_real, rows * n), *T = fd_raw(&scratch, fd_real, rows * n);
    fd_real *xs = g->x ? fd_raw(&scratch, fd_real, rows * n) : NULL;
    if (st->code) return NULL;
    for (int i = 0; i < rows && xs; i++) memcpy(xs + i * n, x, (size_t)n * sizeof *xs);
    for (int j = 0; j < m && !st->code; j += rows) {                  /* columns j.. of A C A* */
        int b = m - j < rows ? m - j : rows;
        gain_units(m, rows, j, b, e);
        fd_obs_adjoint(o, b, xs, e, K, scratch);
        fd_cov_pow(c, 1, b, K, K, scratch);
        if (!o->linear) gain_rows(o, xs, rows, b, K, T, e, G + (ptrdiff_t)j * m, scratch);
        else if (!st->code) o->apply(o->self, &o->s, b, K, G + (ptrdiff_t)j * m, scratch);
    }
    if (st->code) return NULL;
    gain_whiten(o, G);
    if (fd_eigen(st, m, G, g->w, g->V, scratch)) return NULL;
    const double floor = 64 * REAL_EPS * g->w[0];
    for (int i = 0; i < m; i++) {
        if (g->w[i] < 0) g->w[i] = 0;
        if (!obs_noisy(o) && !(g->w[i] > floor))
            return FD_FAIL(st, FD_EDATA, __func__,
                           "without noise an observation follows from the others: give it noise; "
                           "rank, observations", i, m), NULL;
    }
    return g;
}

/* what fd_gain_solve does, or gain_run with GAIN_ROOT: z = (rho A C A* + kappa Gamma)^-1 r, or
 * z = L V^T (rho w + kappa)^1/2 r, which of r ~ N(0, 1) has that matrix as covariance. gain_factor
 * is what it is for an eigenvalue w of the whitened matrix. */
enum { GAIN_SOLVE, GAIN_ROOT };
static double gain_factor(const fd_gain *g, int what, double rho, double kappa, double w)
{
    double q = rho * w + (obs_noisy(g->o) ? kappa : 0);
    return what == GAIN_ROOT ? sqrt(q) : q > 0 ? 1 / q : 0;
}

/* gain_block -- z = L^-T V^T f(w) V L^-1 r, or L V^T f(w) r with GAIN_ROOT, f being gain_factor,
 * for up to GAIN_BLOCK vectors r [b][m]; z may be r. room: [2][m] of GAIN_BLOCK numbers. What a
 * vector gives does not depend on those beside it.
 *
 * The fast body has a vector in each lane, and takes GAIN_LINES rows of V at once, so that they are
 * read once for all vectors and no sum waits for another. */
enum { GAIN_BLOCK = FD_BYTES ? FD_BYTES / 8 : 1, GAIN_LINES = 8 };
#ifdef FD_PLAIN
static void gain_block(const fd_gain *g, int what, double rho, double kappa, int b,
                       const double *r, double *z, double *room)
{
    const int m = g->o->m;
    double *q = room;
    for (int i = 0; i < b; i++, r += m, z += m) {
        memmove(z, r, (size_t)m * sizeof *z);
        if (what == GAIN_SOLVE) obs_chol(g->o, NOISE_SOLVE, z);
        for (int k = 0; k < m; k++) {
            q[k] = what == GAIN_ROOT ? z[k] : 0;
            for (int j = 0; j < m && what == GAIN_SOLVE; j++)
                q[k] += g->V[(ptrdiff_t)k * m + j] * z[j];
            q[k] *= gain_factor(g, what, rho, kappa, g->w[k]);
        }
        for (int j = 0; j < m; j++) {
            z[j] = 0;
            for (int k = 0; k < m; k++) z[j] += g->V[(ptrdiff_t)k * m + j] * q[k];
        }
        obs_chol(g->o, what == GAIN_ROOT ? NOISE_TIMES : NOISE_SOLVE_T, z);
    }
}
#else
#if FD_BYTES
typedef double gain_vec __attribute__((vector_size(FD_BYTES), aligned(sizeof(double)), may_alias));
#else
typedef double gain_vec;
#endif

static void gain_block(const fd_gain *g, int what, double rho, double kappa, int b,
                       const double *r, double *z, double *room)
{
    const fd_obs *o = g->o;
    const int m = o->m;
    gain_vec *t = (gain_vec *)room, *q = t + m;
    for (int i = 0; i < b; i++) {
        memmove(z + (ptrdiff_t)i * m, r + (ptrdiff_t)i * m, (size_t)m * sizeof *z);
        if (what == GAIN_SOLVE) obs_chol(o, NOISE_SOLVE, z + (ptrdiff_t)i * m);
    }
    for (int j = 0; j < m; j++)
        for (int i = 0; i < GAIN_BLOCK; i++)
            room[j * GAIN_BLOCK + i] = i < b ? z[(ptrdiff_t)i * m + j] : 0;
    memcpy(q, t, (size_t)m * sizeof *q);
    for (int k = 0; k < m && what != GAIN_ROOT; k += GAIN_LINES) {    /* q = V t */
        const int n = m - k < GAIN_LINES ? m - k : GAIN_LINES;
        const double *row[GAIN_LINES];
        gain_vec sum[GAIN_LINES];
        for (int l = 0; l < GAIN_LINES; l++) row[l] = g->V + (ptrdiff_t)(k + (l < n ? l : 0)) * m;
        memset(sum, 0, sizeof sum);
        for (int j = 0; j < m; j++) {
            FD_UNROLL
            for (int l = 0; l < GAIN_LINES; l++) sum[l] += row[l][j] * t[j];
        }
        memcpy(q + k, sum, (size_t)n * sizeof *q);
    }
    for (int k = 0; k < m; k++) q[k] *= gain_factor(g, what, rho, kappa, g->w[k]);
    memset(t, 0, (size_t)m * sizeof *t);
    for (int k = 0; k < m; k += GAIN_LINES) {                         /* t = V^T q */
        const int n = m - k < GAIN_LINES ? m - k : GAIN_LINES;
        const double *row[GAIN_LINES];
        gain_vec part[GAIN_LINES];
        for (int l = 0; l < GAIN_LINES; l++) row[l] = g->V + (ptrdiff_t)(k + (l < n ? l : 0)) * m;
        memset(part, 0, sizeof part);
        memcpy(part, q + k, (size_t)n * sizeof *q);
        for (int j = 0; j < m; j++) {
            gain_vec all = t[j];
            FD_UNROLL
            for (int l = 0; l < GAIN_LINES; l++) all += row[l][j] * part[l];
            t[j] = all;
        }
    }
    for (int i = 0; i < b; i++) {
        double *zi = z + (ptrdiff_t)i * m;
        for (int j = 0; j < m; j++) zi[j] = room[j * GAIN_BLOCK + i];
        obs_chol(o, what == GAIN_ROOT ? NOISE_TIMES : NOISE_SOLVE_T, zi);
    }
}
#endif

/* the same for b vectors, and for a modal observation */
static void gain_run(const fd_gain *g, int what, double rho, double kappa, int b, const double *r,
                     double *z, fd_arena scratch)
{
    const fd_obs *o = g->o;
    const int m = o->m;
    if (scratch.st->code) return;
    if (o->mul) {
        const ptrdiff_t n = b * fd_size(&o->s);
        fd_real *u = fd_raw(&scratch, fd_real, n);
        if (!u) return;
        for (ptrdiff_t i = 0; i < n; i++) u[i] = (fd_real)r[i];
        fd_to_modes(&o->s, b, u, u, scratch);
        for (ptrdiff_t i = 0; i < n; i++) {
            double q = rho * g->w[i % o->s.modes] + kappa * o->sd * o->sd;
            u[i] = (fd_real)((double)u[i] * (what == GAIN_ROOT ? sqrt(q) : q > 0 ? 1 / q : 0));
        }
        fd_from_modes(&o->s, b, u, u, scratch);
        for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++) z[i] = (double)u[i];
        return;
    }
    const int blocks = (b + GAIN_BLOCK - 1) / GAIN_BLOCK;
    double *room = fd_raw(&scratch, double, (ptrdiff_t)blocks * 2 * m * GAIN_BLOCK);
    if (!room) return;
    FD_PARALLEL_IF(blocks > 1 && (double)m * m * b > 1e5)
    for (int k = 0; k < blocks; k++) {
        const int left = b - k * GAIN_BLOCK;
        const ptrdiff_t at = (ptrdiff_t)k * GAIN_BLOCK * m;
        gain_block(g, what, rho, kappa, left < GAIN_BLOCK ? left : GAIN_BLOCK, r + at, z + at,
                   room + 2 * at);
    }
}

void fd_gain_solve(const fd_gain *g, double rho, double kappa, int b, const double *r, double *z,
                   fd_arena scratch)
{
    if (g && r && z) gain_run(g, GAIN_SOLVE, rho, kappa, b, r, z, scratch);
}

void fd_gain_add(const fd_gain *g, double scale, int b, const double *z, fd_real *x,
                 fd_arena scratch)
{
    if (!g || !z || !x || scratch.st->code) return;
    const ptrdiff_t n = fd_size(&g->o->s);
    fd_real *d = fd_raw(&scratch, fd_real, b * n), *xs = NULL;
    if (g->x) xs = fd_raw(&scratch, fd_real, b * n);
    if (scratch.st->code) return;
    for (int i = 0; i < b && xs; i++) memcpy(xs + i * n, g->x, (size_t)n * sizeof *xs);
    fd_obs_adjoint(g->o, b, xs, z, d, scratch);
    fd_cov_pow(g->c, 1, b, d, d, scratch);
    for (ptrdiff_t i = 0; i < b * n && !scratch.st->code; i++)
        x[i] += (fd_real)(scale * (double)d[i]);
}

/* z = (rho A C A* + Gamma)^-1 (y - A x - eta); eta may be NULL, and y is as in obs_residual */
static void gain_residual(const fd_gain *g, double rho, int b, const double *y, int each,
                          const double *eta, const fd_real *x, double *z, fd_arena scratch)
{
    obs_residual(g->o, b, y, each, x, z, scratch);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * g->o->m && eta; i++) z[i] -= eta[i];
    fd_gain_solve(g, rho, 1, b, z, z, scratch);
}

/* fd_gain_condition, with such a y */
static void gain_condition(const fd_gain *g, double rho, int b, const double *y, int each,
                           const double *eta, fd_real *x, fd_arena scratch)
{
    double *z = fd_raw(&scratch, double, (ptrdiff_t)b * g->o->m);
    if (!z) return;
    gain_residual(g, rho, b, y, each, eta, x, z, scratch);
    fd_gain_add(g, rho, b, z, x, scratch);
}

void fd_gain_condition(const fd_gain *g, double rho, int b, const double *y, const double *eta,
                       fd_real *x, fd_arena scratch)
{
    if (g && y && x && !scratch.st->code && obs_linear(scratch.st, __func__, g->o))
        gain_condition(g, rho, b, y, 1, eta, x, scratch);
}

double fd_gain_logdet(const fd_gain *g, double rho, double kappa, fd_arena scratch)
{
    if (!g || scratch.st->code) return NAN;
    const fd_obs *o = g->o;
    double sum = 0;
    if (o->mul) {
        for (ptrdiff_t k = 0; k < o->s.modes; k++)
            sum += o->s.ch * log(rho * g->w[k] + kappa * o->sd * o->sd);
        return sum;
    }
    for (int i = 0; i < o->m; i++) sum += log(rho * g->w[i] + (obs_noisy(o) ? kappa : 0));
    if (o->chol) for (int i = 0; i < o->m; i++) sum += 2 * log(o->chol[(ptrdiff_t)i * o->m + i]);
    else if (obs_noisy(o))
        for (int i = 0; i < o->m; i++) sum += 2 * log(o->each ? o->each[i] : o->sd);
    return sum;
}

/* What y takes of the covariance rho C, times sign, is added to var: the diagonal of
 * rho C A* (rho A C A* + Gamma)^-1 A rho C in the modes of s, [ch][modes]; s NULL: at the points,
 * but for a modal observation. It is sum_i q_i^2/(rho w_i + 1), q_i = rho C A* L^-T V_i. */
static void gain_taken(const fd_gain *g, const fd_space *s, double rho, double sign, double *var,
                       fd_arena scratch)
{
    if (scratch.st->code) return;
    const fd_obs *o = g->o;
    const int m = o->m, rows = m < GAIN_ROWS ? m : GAIN_ROWS;
    const ptrdiff_t size = fd_size(&o->s), all = s ? s->ch * s->modes : size;
    const ptrdiff_t most = all > size ? all : size;
    for (ptrdiff_t k = 0; k < all && o->mul; k++) {
        double w = rho * g->w[k % s->modes], q = w + o->sd * o->sd;
        if (q > 0) var[k] += sign * (rho * g->c->lam[k % s->modes] * w / q);
    }
    if (o->mul) return;
    double *z = fd_raw(&scratch, double, (ptrdiff_t)rows * m);
    fd_real *q = fd_raw(&scratch, fd_real, rows * most);
    if (!q) return;
    for (int k = 0; k < m && !scratch.st->code; k += rows) {
        int b = m - k < rows ? m - k : rows;
        memcpy(z, g->V + (ptrdiff_t)k * m, (size_t)b * (size_t)m * sizeof *z);
        for (int i = 0; i < b; i++) obs_chol(o, NOISE_SOLVE_T, z + (ptrdiff_t)i * m);
        memset(q, 0, (size_t)(rows * most) * sizeof *q);
        fd_gain_add(g, rho, b, z, q, scratch);
        if (s) fd_to_modes(s, b, q, q, scratch);
        for (int i = 0; i < b; i++) {
            double f = sign * gain_factor(g, GAIN_SOLVE, rho, 1, g->w[k + i]);
            const fd_real *qi = q + i * all;
            for (ptrdiff_t j = 0; j < all; j++) var[j] += f * (double)qi[j] * (double)qi[j];
        }
    }
}

/* --- The exact posterior of a Gaussian prior --- */

fd_posterior *fd_posterior_new(fd_arena *a, const fd_real *mean, const fd_cov *c0, const fd_obs *o,
                               const double *y)
{
    if (!obs_given(a->st, __func__, o, y)) return NULL;
    const ptrdiff_t n = fd_size(&o->s);
    fd_posterior *p = fd_new(a, fd_posterior, 1);
    fd_gain *g = fd_gain_new(a, o, c0, NULL);
    fd_real *to = fd_new(a, fd_real, n);
    fd_arena scratch = *a;
    double *r = fd_raw(&scratch, double, 2 * (ptrdiff_t)o->m), sum = 0;
    if (!r) return NULL;
    double *z = r + o->m;
    *p = (fd_posterior){ .c0 = c0, .gain = g, .y = y, .prior = mean, .mean = to };
    if (mean) memcpy(to, mean, (size_t)n * sizeof *to);
    obs_residual(o, 1, y, 0, to, r, scratch);
    fd_gain_solve(g, 1, 1, 1, r, z, scratch);
    fd_gain_add(g, 1, 1, z, to, scratch);
    for (int i = 0; i < o->m; i++) sum += r[i] * z[i];
    p->evidence = -.5 * sum - .5 * fd_gain_logdet(g, 1, 1, scratch) - .5 * o->m * log(2 * PI);
    return a->st->code ? NULL : p;
}

void fd_posterior_draw(const fd_posterior *p, fd_rng r, int first, int b, fd_real *x,
                       fd_arena scratch)
{
    if (!p || !x || b < 1 || scratch.st->code) return;
    const fd_obs *o = p->gain->o;
    const ptrdiff_t n = fd_size(&o->s);
    double *eta = fd_raw(&scratch, double, (ptrdiff_t)b * o->m);
    fd_real *own = fd_raw(&scratch, fd_real, b * n);
    if (!own) return;
    fd_cov_draw(p->c0, r, first, b, own, scratch);
    for (ptrdiff_t i = 0; i < b * n && p->prior; i++) own[i] += p->prior[i % n];
    obs_noises(o, r, first, b, eta, scratch);
    gain_condition(p->gain, 1, b, p->y, 0, eta, own, scratch);
    if (!scratch.st->code) memcpy(x, own, (size_t)(b * n) * sizeof *x);
}

/* Of a modal observation the posterior has a covariance that is diagonal in the modes, too. */
void fd_posterior_std(const fd_posterior *p, fd_real *sd, fd_arena scratch)
{
    if (!p || !sd || scratch.st->code) return;
    const fd_gain *g = p->gain;
    const fd_obs *o = g->o;
    const fd_space *s = &o->s;
    const ptrdiff_t n = fd_size(s), points = s->points;
    if (o->mul) {
        double *lam = fd_raw(&scratch, double, s->modes), noise = o->sd * o->sd;
        if (!lam) return;
        for (ptrdiff_t k = 0; k < s->modes; k++)
            lam[k] = g->w[k] + noise > 0 ? p->c0->lam[k] * noise / (g->w[k] + noise)
                                         : p->c0->lam[k];
        fd_cov_std(&(fd_cov){ .s = *s, .lam = lam }, sd, scratch);
        for (ptrdiff_t i = points; i < n && !scratch.st->code; i++) sd[i] = sd[i % points];
        return;
    }
    double *var = fd_raw(&scratch, double, n);
    fd_real *q = fd_raw(&scratch, fd_real, points);
    if (!q) return;
    fd_cov_std(p->c0, q, scratch);
    for (ptrdiff_t i = 0; i < n; i++) var[i] = (double)q[i % points] * (double)q[i % points];
    gain_taken(g, NULL, 1, -1, var, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++) sd[i] = (fd_real)sqrt(fmax(0, var[i]));
}

/* --- The exact conditional denoiser ---
 *
 * Given component j the covariance of x0 | x_t is C = c v lam/P per mode, P = m^2 c + v lam, and of
 * x0 | x_t, y
 *
 *     C - C A* (A C A* + Gamma)^-1 A C
 *
 * whose second term is gain_taken. Where c is a multiple of lam, C is one of c, and one gain serves
 * all times. For the score given y let S = m^2 C_y + v lam, C_y = c - c A* (A c A* + Gamma)^-1 A c.
 * Woodbury's identity says, with plus signs alone,
 *
 *     E|C grad log p|^2 = tr(lam S^-1 lam) = sum lam^2/P + sum (m/v)^2 taken */

typedef struct {
    fd_process p;
    mix x;
    double *mu;                          /* [modes]; NULL: scalar process */
    const fd_obs *o;
    const double *y;
    double ratio;                        /* c/lam of one component, if it is one number, or 0 ... */
    fd_cov c;
    fd_gain *gain;                       /* ... and then its gain, else NULL */
} post_model;

typedef struct {                         /* of one component at one time, all [modes] */
    double *m, *P, *g;                   /* E[x0|x_t] = M + g (x - m M) */
    fd_cov c;                            /* C = rho times that of gain */
    const fd_gain *gain;
    double rho;
} post_tab;

/* c/lam where it is one number on all modes, else 0 */
static double post_ratio(ptrdiff_t n, const double *lam, const double *c)
{
    double ratio = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        if (ratio == 0 && lam[k] > 0) ratio = c[k] / lam[k];
        if (!(fabs(c[k] - ratio * lam[k]) <= 4 * DBL_EPSILON * ratio * lam[k])) return 0;
    }
    return ratio;
}

/* room for the tables of all components */
static post_tab *post_tabs(const post_model *o, const fd_space *s, fd_arena *a)
{
    post_tab *b = fd_new(a, post_tab, o->x.n);
    for (int j = 0; j < o->x.n && b; j++) {
        double *v = fd_raw(a, double, 4 * s->modes);
        if (!v) return NULL;
        b[j] = (post_tab){ .m = v, .P = v + s->modes, .g = v + 2 * s->modes,
                           .c = { .s = *s, .lam = v + 3 * s->modes } };
    }
    return b;
}

/* the table of component j at t, whose gain stays in a */
static void post_table(const post_model *o, int j, double t, post_tab *b, fd_arena *a)
{
    const double *lam = o->p.noise->lam, least = oracle_least(&o->p, o->mu, t, o->x.c[j]);
    fd_coef f = { 0 };
    for (ptrdiff_t k = 0; k < b->c.s.modes; k++) {
        double c = o->x.c[j][k], h;
        if (k == 0 || o->mu) f = o->p.law(&o->p, t, o->mu ? o->mu[k] : 0);
        b->m[k] = f.m, b->P[k] = f.m * f.m * c + f.v * lam[k];
        oracle_gain(f, lam[k], c, least, &b->g[k], &h);
        b->c.lam[k] = h * c;
    }
    b->rho = o->gain ? f.v / (f.m * f.m * o->ratio + f.v) : 1;
    b->gain = o->gain ? o->gain : fd_gain_new(a, o->o, &b->c, NULL);
}

/* the variances of x0 given x_t and y, var [ch][modes] */
static void post_left(const post_tab *b, const fd_space *s, double *var, fd_arena scratch)
{
    const ptrdiff_t all = s->ch * s->modes;
    memset(var, 0, (size_t)all * sizeof *var);
    gain_taken(b->gain, s, b->rho, 1, var, scratch);
    for (ptrdiff_t k = 0; k < all; k++) var[k] = fmax(0, b->c.lam[k % s->modes] - var[k]);
}

/* log of the weight of component j given x_t, whose coefficients are u, [ch][modes]: as in exact
 * models modes where least [modes], the smallest P of all, is 0 stay out, and P is raised. */
static double post_odds(const post_model *o, const post_tab *tab, int j, const double *least,
                        double floor, const fd_real *u)
{
    const ptrdiff_t modes = tab->c.s.modes, all = tab->c.s.ch * modes;
    const fd_real *M = o->x.M + j * all;
    const post_tab *q = &tab[j];
    double l = o->x.logw[j];
    for (ptrdiff_t k = 0; k < all; k++) {
        const ptrdiff_t e = k % modes;
        const double off = (double)u[k] - q->m[e] * (double)M[k], P = q->P[e] + floor;
        if (least[e] > 0) l -= .5 * (off * off / P + log(P / (tab->P[e] + floor)));
    }
    return l;
}

/* D for b functions; obs [m] for all, or [b][m] with each. left [b], where not NULL, and of one
 * component: the trace of the covariance of x0 given x_t and y, over all channels. */
static void post_run(const post_model *o, const fd_space *s, int b, const fd_real *x,
                     const double *t, const double *obs, int each, fd_real *y, double *left,
                     fd_arena scratch)
{
    if (!space_fits(scratch.st, "fd_oracle_posterior", s, &o->p.noise->s)) return;
    const int n = o->x.n, m = o->o->m;
    const ptrdiff_t modes = s->modes, all = s->ch * modes, size = fd_size(s);
    fd_real *u = fd_raw(&scratch, fd_real, all), *D = fd_raw(&scratch, fd_real, n * size);
    double *l = fd_raw(&scratch, double, n);
    double *r = fd_raw(&scratch, double, 2 * (ptrdiff_t)m), *z = r + m;
    double *var = fd_raw(&scratch, double, left ? all : 0), *low = fd_raw(&scratch, double, modes);
    post_tab *tab = post_tabs(o, s, &scratch);
    if (scratch.st->code) return;
    fd_arena mark = scratch;
    for (int i = 0; i < b && !scratch.st->code; i++) {
        int again = i > 0 && t[i] == t[i - 1];
        if (!again) {
            scratch = mark;
            for (int j = 0; j < n; j++) post_table(o, j, t[i], &tab[j], &scratch);
            if (scratch.st->code) return;
            for (ptrdiff_t k = 0; k < modes; k++) {
                low[k] = tab->P[k];
                for (int j = 1; j < n; j++) low[k] = fmin(low[k], tab[j].P[k]);
            }
        }
        if (left && again) left[i] = left[i - 1];
        if (left && !again) {
            post_left(tab, s, var, scratch);
            left[i] = 0;
            for (ptrdiff_t k = 0; k < all; k++) left[i] += var[k];
        }
        for (int j = 0; j < n; j++) {
            fd_real *d = D + j * size;
            const post_tab *q = &tab[j];
            const fd_real *M = o->x.M + j * all;
            fd_to_modes(s, 1, x + i * size, u, scratch);
            l[j] = n > 1 ? post_odds(o, tab, j, low, oracle_floor(all, u), u) : 0;
            for (ptrdiff_t k = 0; k < all; k++) {
                const double at = (double)M[k];
                u[k] = (fd_real)(at + q->g[k % modes] * ((double)u[k] - q->m[k % modes] * at));
            }
            fd_from_modes(s, 1, u, d, scratch);
            obs_residual(o->o, 1, obs + (each ? (ptrdiff_t)i * m : 0), 0, d, r, scratch);
            fd_gain_solve(q->gain, q->rho, 1, 1, r, z, scratch);
            fd_gain_add(q->gain, q->rho, 1, z, d, scratch);
            for (int k = 0; k < m && n > 1; k++) l[j] -= .5 * r[k] * z[k];
            if (n > 1) l[j] -= .5 * fd_gain_logdet(q->gain, 1, 1, scratch);
        }
        softmax(n, l);
        for (ptrdiff_t k = 0; k < size && !scratch.st->code; k++) {
            double v = 0;
            for (int j = 0; j < n; j++) v += l[j] * (double)D[j * size + k];
            y[i * size + k] = (fd_real)v;
        }
    }
}

static void post_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      fd_real *y, fd_arena scratch)
{
    const post_model *o = self;
    post_run(o, s, b, x, t, o->y, 0, y, NULL, scratch);
}

static void post_var(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                     fd_real *w, fd_arena scratch)
{
    const post_model *o = self;
    if (!space_fits(scratch.st, "fd_oracle_posterior", s, &o->p.noise->s)) return;
    const ptrdiff_t all = s->ch * s->modes;
    double *var = fd_raw(&scratch, double, all);
    post_tab *tab = post_tabs(o, s, &scratch);
    (void)x;
    for (int i = 0; i < b && tab && !scratch.st->code; i++) {
        fd_arena own = scratch;
        if (i > 0 && t[i] == t[i - 1]) {
            memcpy(w + i * all, w + (i - 1) * all, (size_t)all * sizeof *w);
            continue;
        }
        post_table(o, 0, t[i], tab, &own);
        if (own.st->code) return;
        post_left(tab, s, var, own);
        for (ptrdiff_t k = 0; k < all && !own.st->code; k++) w[i * all + k] = (fd_real)var[k];
    }
}

/* The model; NULL where it failed. y may be NULL where it is known later. */
static post_model *post_new(fd_arena *a, const char *where, const fd_process *p,
                            const fd_mix *prior, const fd_obs *o, const double *y)
{
    if (!proc_given(where, p, a->st) || !p->noise || !obs_linear(a->st, where, o)) return NULL;
    const fd_space *s = &p->noise->s;
    if (!space_same(s, &o->s))
        FD_FAIL(a->st, FD_ESHAPE, where, "noise and observation have different points");
    mix x = mix_new(a, where, s, prior);
    double *mu = p->modal ? proc_args(p, a) : NULL;
    post_model *m = fd_new(a, post_model, 1);
    if (!m) return NULL;
    *m = (post_model){ *p, x, mu, o, y, 0, *p->noise, NULL };
    if (x.n == 1 && !p->modal) m->ratio = post_ratio(s->modes, p->noise->lam, x.c[0]);
    if (!(m->ratio > 0)) return m;
    m->c.lam = fd_raw(a, double, s->modes);
    if (!m->c.lam) return NULL;
    memcpy(m->c.lam, x.c[0], (size_t)s->modes * sizeof *m->c.lam);
    m->gain = fd_gain_new(a, o, &m->c, NULL);
    return m->gain ? m : NULL;
}

fd_model fd_oracle_posterior(fd_arena *a, const fd_process *p, int n, const double *w,
                             const fd_real *means, const fd_cov *const c[], const fd_obs *o,
                             const double *y)
{
    if (!obs_ready(a->st, __func__, o, y) || !c) return (fd_model){ 0 };
    const post_model *m = post_new(a, __func__, p, &(fd_mix){ n, w, means, c }, o, y);
    if (!m) return (fd_model){ 0 };
    return (fd_model){ FD_X0, post_eval, NULL, n == 1 ? post_var : NULL, m, NULL };
}

double fd_score_power(const fd_process *p, const fd_cov *c0, const fd_obs *o, double t,
                      fd_arena scratch)
{
    fd_status *st = scratch.st;
    double sum = 0;
    if (!c0 || !proc_ready(__func__, p, st)) return NAN;
    const fd_space *s = &p->noise->s;
    const double *lam = p->noise->lam;
    const ptrdiff_t all = s->ch * s->modes;
    if (!space_same(s, &c0->s))
        return FD_FAIL(st, FD_ESHAPE, __func__, "data and noise have different modes"), NAN;
    fd_obs none = { .m = 0 };
    double *mu = proc_args(p, &scratch), *less = fd_new(&scratch, double, all);
    double *C = fd_raw(&scratch, double, s->modes);
    fd_coef *f = fd_raw(&scratch, fd_coef, s->modes);
    if (!f) return NAN;
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        double c = c0->lam[k], P;
        f[k] = p->law(p, t, mu[k]);
        P = f[k].m * f[k].m * c + f[k].v * lam[k];
        C[k] = P > 0 ? c * f[k].v * lam[k] / P : c;
        if (P > 0) sum += s->ch * lam[k] * lam[k] / P;
        if (!(f[k].v > 0)) FD_FAIL(st, FD_EARG, __func__, "there is no score where v = 0");
    }
    const fd_obs *seen = o ? o : &none;
    if (!st->code && seen->m > 0 && obs_linear(st, __func__, seen)) {
        const fd_cov left = { .s = *s, .lam = C };
        const fd_gain *g = fd_gain_new(&scratch, seen, &left, NULL);
        if (g) gain_taken(g, s, 1, 1, less, scratch);
    }
    for (ptrdiff_t k = 0; k < all && !st->code; k++) {
        fd_coef q = f[k % s->modes];
        sum += q.m * q.m / (q.v * q.v) * less[k];
    }
    return st->code ? NAN : sum;
}

/* --- Guidance ---
 *
 * A model says y with D = r0 x + r1 C^q y, so that for gradients in L2
 *
 *     J* w = r0 w + y'* C^q r1 w,    y'* = weight^-1 (dy/dx)^T weight
 *
 * r0, r1 are diagonal in the modes, and so their own adjoints. */

#define GUIDE_LEAST 1e-4                              /* below it x says too little of x0 */
typedef struct { fd_guide how; fd_gain *gain; } guide_model;

/* r0 w + e, or r1 w; ctx: the kind of the model, FD_X0, and which */
static const char *guide_r(const void *ctx, const fd_process *p, double t, double mu, double c[3])
{
    double r[3] = { 0 };
    const char *why = conv_coef(ctx, p, t, mu, r);
    c[0] = r[((const int *)ctx)[2]], c[1] = 1;
    return why;
}

/* J* w in three steps: guide_told makes q of w, which is what the model's vjp is told; it says e;
 * and guide_said makes out = J* w of w and e. out may be w. */
static void guide_told(const fd_guide *g, int b, const double *t, const fd_real *w, fd_real *q,
                       fd_arena scratch)
{
    const fd_process *p = g->p;
    int kind[3] = { conv_base(g->model.predicts), FD_X0, 1 };
    double power = conv_power(g->model.predicts);
    if (kind[0] == FD_X0) memcpy(q, w, (size_t)(b * fd_size(&p->noise->s)) * sizeof *q);
    else lin_apply("fd_guided", p, b, t, guide_r, kind, 1, INPUTS(w), q, scratch);
    if (power > 0) fd_cov_pow(p->noise, power, b, q, q, scratch);
    if (!scratch.st->code) space_riesz(&p->noise->s, 0, b, q);
}

static void guide_said(const fd_guide *g, int b, const double *t, const fd_real *w, fd_real *e,
                       fd_real *out, fd_arena scratch)
{
    const fd_process *p = g->p;
    int kind[3] = { conv_base(g->model.predicts), FD_X0, 0 };
    if (scratch.st->code) return;
    space_riesz(&p->noise->s, 1, b, e);
    if (kind[0] == FD_X0) memcpy(out, e, (size_t)(b * fd_size(&p->noise->s)) * sizeof *out);
    else lin_apply("fd_guided", p, b, t, guide_r, kind, 2, INPUTS(w, e), out, scratch);
}

/* out = J* w for b functions x */
static void guide_adjoint(const fd_guide *g, int b, const fd_real *x, const double *t,
                          const fd_real *w, fd_real *out, fd_arena scratch)
{
    const fd_space *s = &g->p->noise->s;
    fd_real *q = fd_raw(&scratch, fd_real, b * fd_size(s));
    fd_real *e = fd_raw(&scratch, fd_real, b * fd_size(s));
    if (!e) return;
    guide_told(g, b, t, w, q, scratch);
    if (!scratch.st->code) g->model.vjp(g->model.self, s, b, x, t, q, e, scratch);
    guide_said(g, b, t, w, e, out, scratch);
}

/* The factor v/m of D + (v/m) g [SDE eq. 14; DPS eqs. 5, 7], where g = C J* w and guide_weigh makes
 * w by the rule. It is 0 where x says nothing of the mode, for which see guide_unseen. */
static double guide_ratio(fd_coef f) { return f.m >= GUIDE_LEAST ? f.v / f.m : 0; }

/* (v/m) g + D, or (v/m) g alone */
static const char *guide_pull(const void *ctx, const fd_process *p, double t, double mu,
                              double c[3])
{
    (void)ctx;
    c[0] = guide_ratio(p->law(p, t, mu)), c[1] = 1;
    return NULL;
}

/* Modes of a modal process with m < 1e-4, where rounding at the points hides J* w: there
 * Cov = (v/m) C J* is the model's var, if it has one: y_k += var_k w_k. */
static void guide_unseen(const fd_guide *g, int b, const fd_real *x, const double *t,
                         const fd_real *w, fd_real *y, fd_arena scratch)
{
    const fd_process *p = g->p;
    const fd_space *s = &p->noise->s;
    const ptrdiff_t n = s->ch * s->modes;
    if (!p->modal || !g->model.var || scratch.st->code) return;
    fd_real *var = fd_raw(&scratch, fd_real, b * n), *u = fd_raw(&scratch, fd_real, b * n);
    double *mu = proc_args(p, &scratch);
    if (!mu) return;
    g->model.var(g->model.self, s, b, x, t, var, scratch);
    fd_to_modes(s, b, w, u, scratch);
    for (ptrdiff_t i = 0; i < b * n && !scratch.st->code; i++)
        u[i] = p->law(p, t[i / n], mu[i % s->modes]).m < GUIDE_LEAST ? u[i] * var[i] : 0;
    fd_from_modes(s, b, u, u, scratch);
    for (ptrdiff_t i = 0; i < b * fd_size(s) && !scratch.st->code; i++) y[i] += u[i];
}

/* t, or where m(t) < 1e-4 the earlier time at which m = 1e-4: there v/m J has its limit */
static double guide_time(const fd_process *p, double t)
{
    double lo = p->tmin, hi = t;
    if (p->law(p, t, 0).m >= GUIDE_LEAST || p->law(p, lo, 0).m < GUIDE_LEAST) return t;
    for (int i = 0; i < 100; i++) {
        double mid = .5 * (lo + hi);
        if (p->law(p, mid, 0).m >= GUIDE_LEAST) lo = mid;
        else hi = mid;
    }
    return lo;
}

/* r becomes Q^-1 r, for one function, by the columns j of A Cov A* = A (v/m) C J* A* e_j */
static void guide_exact(const fd_guide *g, const fd_real *x, double t, const fd_real *D, double *r,
                        fd_arena scratch)
{
    const fd_obs *o = g->o;
    const int m = o->m, rows = m < GAIN_ROWS ? m : GAIN_ROWS;
    const ptrdiff_t n = fd_size(&o->s);
    double *Q = fd_raw(&scratch, double, (size_t)m * (size_t)m);
    double *e = fd_raw(&scratch, double, (ptrdiff_t)rows * m);
    double *tb = fd_raw(&scratch, double, rows);
    fd_real *K = fd_raw(&scratch, fd_real, rows * n), *T = fd_raw(&scratch, fd_real, rows * n);
    fd_real *xs = fd_raw(&scratch, fd_real, rows * n), *Ds = fd_raw(&scratch, fd_real, rows * n);
    fd_real *W = fd_raw(&scratch, fd_real, rows * n);
    if (!W) return;
    for (int i = 0; i < rows; i++) {
        memcpy(xs + i * n, x, (size_t)n * sizeof *x);
        memcpy(Ds + i * n, D, (size_t)n * sizeof *D);
        tb[i] = t;
    }
    for (int j = 0; j < m && !scratch.st->code; j += rows) {
        int b = m - j < rows ? m - j : rows;
        gain_units(m, rows, j, b, e);
        fd_obs_adjoint(o, b, Ds, e, W, scratch);
        guide_adjoint(g, b, xs, tb, W, K, scratch);
        lin_apply("fd_guided", g->p, b, tb, guide_pull, NULL, 1, INPUTS(K), K, scratch);
        fd_cov_pow(g->p->noise, 1, b, K, K, scratch);
        guide_unseen(g, b, xs, tb, W, K, scratch);
        gain_rows(o, Ds, rows, b, K, T, e, Q + (ptrdiff_t)j * m, scratch);
    }
    if (scratch.st->code) return;
    for (int i = 0; i < m; i++)                                       /* + Gamma, symmetric */
        for (int j = 0; j <= i; j++) {
            double q = .5 * (Q[(ptrdiff_t)i * m + j] + Q[(ptrdiff_t)j * m + i]);
            Q[(ptrdiff_t)i * m + j] = q + obs_gamma(o, i, j);
        }
    if (fd_cholesky(scratch.st, m, Q)) return;
    fd_solve_lower(m, Q, 0, r);
    fd_solve_lower(m, Q, 1, r);
}

/* the gain of Pi-GDM at one time, with v lam in place of lam where v differs between modes */
static const fd_gain *guide_gain(const fd_guide *g, double t, const fd_real *D, fd_arena *a)
{
    const fd_cov *c = g->p->noise;
    fd_cov *now = fd_new(a, fd_cov, 1);
    double *lam = fd_raw(a, double, c->s.modes);
    if (!lam) return NULL;
    for (ptrdiff_t k = 0; k < c->s.modes; k++)
        lam[k] = c->lam[k] * (g->p->modal ? fd_law(g->p, t, k).v : 1);
    *now = (fd_cov){ .s = c->s, .lam = lam };
    return fd_gain_new(a, g->o, now, D);
}

/* w = A* Q^-1 (y - F(D)) for b functions at times tb */
static void guide_weigh(const guide_model *o, int b, const fd_real *x, const double *tb,
                        const fd_real *D, fd_real *w, fd_arena scratch)
{
    const fd_guide *g = &o->how;
    const fd_process *p = g->p;
    const int m = g->o->m;
    const int shared = o->gain && g->rule == FD_GUIDE_PIGDM;    /* one Q for all of a time */
    const double zeta = g->zeta > 0 ? g->zeta : 1;
    const ptrdiff_t n = fd_size(&p->noise->s);
    double *r = fd_raw(&scratch, double, (ptrdiff_t)b * m);
    if (!r) return;
    obs_residual(g->o, b, g->y, 0, D, r, scratch);
    fd_arena own = scratch;
    const fd_gain *gain = NULL;
    for (int i = 0, same = 1; i < b && !scratch.st->code; i += same) {
        double *ri = r + (ptrdiff_t)i * m;
        for (same = 1; shared && i + same < b && tb[i + same] == tb[i];) same++;
        if (g->rule == FD_GUIDE_EXACT) {
            guide_exact(g, x + i * n, tb[i], D + i * n, ri, scratch);
        } else if (g->rule == FD_GUIDE_DPS) {
            obs_chol(g->o, NOISE_SOLVE, ri);
            obs_chol(g->o, NOISE_SOLVE_T, ri);
            for (int j = 0; j < m; j++) ri[j] *= zeta;
        } else {
            if (!o->gain && (i == 0 || !g->o->linear || tb[i] != tb[i - 1]))
                own = scratch, gain = guide_gain(g, tb[i], D + i * n, &own);
            fd_gain_solve(o->gain ? o->gain : gain, zeta * (p->modal ? 1 : p->law(p, tb[i], 0).v),
                          1, same, ri, ri, own);
        }
    }
    fd_obs_adjoint(g->o, b, D, r, w, scratch);
}

/* what is known when a model gives its prediction and asks for w in one pass */
typedef struct {
    const guide_model *o;
    const fd_real *x;
    const double *tb;
    fd_real *D, *w;
} guide_asked;

/* The model says y of functions first.., and is told dy. */
static void guide_ask(void *of, int first, int b, const fd_real *y, fd_real *dy, fd_arena scratch)
{
    const guide_asked *q = of;
    const fd_guide *g = &q->o->how;
    const ptrdiff_t n = fd_size(&g->p->noise->s), at = first * n;
    memcpy(q->D + at, y, (size_t)(b * n) * sizeof *y);
    fd_convert(g->p, g->model.predicts, FD_X0, b, q->x + at, q->tb + first, q->D + at, scratch);
    guide_weigh(q->o, b, q->x + at, q->tb + first, q->D + at, q->w + at, scratch);
    guide_told(g, b, q->tb + first, q->w + at, dy, scratch);
}

/* D, w, and q = J* w for b functions at times tb */
static void guide_slope(const guide_model *o, int b, const fd_real *x, const double *tb, fd_real *D,
                        fd_real *w, fd_real *q, fd_arena scratch)
{
    const fd_guide *g = &o->how;
    const fd_space *s = &g->p->noise->s;
    if (g->model.pull && g->rule != FD_GUIDE_EXACT) {
        fd_real *e = fd_raw(&scratch, fd_real, b * fd_size(s));
        if (!e) return;
        g->model.pull(g->model.self, s, b, x, tb, guide_ask,
                      &(guide_asked){ o, x, tb, D, w }, e, scratch);
        guide_said(g, b, tb, w, e, q, scratch);
    } else {
        fd_predict(&g->model, FD_X0, g->p, b, x, tb, D, scratch);
        guide_weigh(o, b, x, tb, D, w, scratch);
        guide_adjoint(g, b, x, tb, w, q, scratch);
    }
}

static void guide_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena scratch)
{
    const guide_model *o = self;
    const fd_process *p = o->how.p;
    if (!space_fits(scratch.st, "fd_guided", s, &p->noise->s)) return;
    double *tb = fd_raw(&scratch, double, b);
    fd_real *q = fd_raw(&scratch, fd_real, b * fd_size(s));
    fd_real *w = fd_raw(&scratch, fd_real, b * fd_size(s));
    if (!w) return;
    for (int i = 0; i < b; i++) tb[i] = guide_time(p, t[i]);
    guide_slope(o, b, x, tb, y, w, q, scratch);
    if (!o->how.plain) fd_cov_pow(p->noise, 1, b, q, q, scratch);
    else if (!scratch.st->code) space_riesz(s, 0, b, q);
    lin_apply("fd_guided", p, b, tb, guide_pull, NULL, 2, INPUTS(q, y), y, scratch);
    if (!o->how.plain) guide_unseen(&o->how, b, x, tb, w, y, scratch);
}

/* Is there such a rule, and has the model what it needs? */
static void guide_rule(fd_status *st, const char *where, const fd_guide *g, const fd_model *m)
{
    if (g->rule < FD_GUIDE_EXACT || g->rule > FD_GUIDE_DPS)
        FD_FAIL(st, FD_EARG, where, "no such rule", g->rule);
    else if (!m->eval || !m->vjp) FD_FAIL(st, FD_EARG, where, "needs a model with vjp");
    else if (!(g->zeta >= 0 && isfinite(g->zeta)))
        FD_FAIL(st, FD_EARG, where, "zeta is negative or not finite");
}

fd_model fd_guided(fd_arena *a, const fd_guide *how)
{
    fd_model none = { 0 };
    fd_status *st = a->st;
    if (!proc_given(__func__, how->p, st) || !how->p->noise
        || !obs_ready(st, __func__, how->o, how->y)) return none;
    guide_rule(st, __func__, how, &how->model);
    obs_fits(st, __func__, how->o, &how->p->noise->s);
    guide_model *g = fd_new(a, guide_model, 1);
    fd_gain *gain = NULL;
    if (how->rule == FD_GUIDE_PIGDM && how->o->linear && !how->p->modal)
        gain = fd_gain_new(a, how->o, how->p->noise, NULL);
    if (!g || st->code) return none;
    *g = (guide_model){ *how, gain };
    return (fd_model){ FD_X0, guide_eval, NULL, NULL, g, NULL };
}

/* --- Moves --- */

/* e += scale Gamma z, where there is an e; z is overwritten */
static void move_noise(const fd_obs *o, double scale, int b, double *z, double *e)
{
    for (int i = 0; i < b && e; i++) {
        double *zi = z + (ptrdiff_t)i * o->m;
        if (o->chol) {                                                /* L L^T z */
            for (int j = 0; j < o->m; j++) {
                double sum = 0;
                for (int k = j; k < o->m; k++) sum += o->chol[(ptrdiff_t)k * o->m + j] * zi[k];
                zi[j] = sum;
            }
        } else obs_chol(o, NOISE_TIMES, zi);
        obs_chol(o, NOISE_TIMES, zi);
        for (int j = 0; j < o->m; j++) e[(ptrdiff_t)i * o->m + j] += scale * zi[j];
    }
}

/* Is all there? A state e goes with noise, and with noise only. */
static int move_ready(fd_status *st, const char *where, const fd_gain *g, const double *e)
{
    if (st->code || !g) return 0;
    if (!obs_linear(st, where, g->o)) return 0;
    if (obs_noisy(g->o) == !e)
        FD_FAIL(st, FD_EARG, where,
                e ? "there is no noise: no state for it" : "noisy observations need a state e");
    return !st->code;
}

void fd_project(const fd_gain *g, int b, const double *y, fd_real *x, double *e, fd_arena scratch)
{
    if (!move_ready(scratch.st, __func__, g, e)) return;
    double *z = fd_raw(&scratch, double, (ptrdiff_t)b * g->o->m);
    if (!z) return;
    gain_residual(g, 1, b, y, 1, e, x, z, scratch);
    fd_gain_add(g, 1, b, z, x, scratch);
    if (!scratch.st->code) move_noise(g->o, 1, b, z, e);
}

void fd_project_flat(const fd_obs *o, int b, const double *y, fd_real *x, fd_arena scratch)
{
    if (scratch.st->code || !o || o->m < 1 || !obs_linear(scratch.st, __func__, o)) return;
    const fd_space *s = &o->s;
    double *lam = fd_raw(&scratch, double, s->modes);
    double *r = fd_raw(&scratch, double, (ptrdiff_t)b * o->m);
    if (!r) return;
    for (ptrdiff_t k = 0; k < s->modes; k++) lam[k] = 1;
    const fd_cov one = { .s = *s, .lam = lam };
    fd_obs bare = *o;
    bare.sd = 0, bare.each = bare.chol = NULL;
    const fd_gain *g = fd_gain_new(&scratch, &bare, &one, NULL);
    if (g) obs_residual(o, b, y, 1, x, r, scratch);
    fd_gain_solve(g, 1, 0, b, r, r, scratch);
    fd_gain_add(g, 1, b, r, x, scratch);
}

/* x + m d */
static const char *move_mean(const void *ctx, const fd_process *p, double t, double mu, double c[3])
{
    (void)ctx;
    c[0] = 1, c[1] = p->law(p, t, mu).m;
    return NULL;
}

void fd_project_denoised(const fd_gain *g, const fd_process *p, double t, int b, const double *y,
                         const fd_real *d, const double *de, fd_real *x, double *e,
                         fd_arena scratch)
{
    if (!proc_given(__func__, p, scratch.st) || !p->noise
        || !move_ready(scratch.st, __func__, g, e)) return;
    if (p->modal)
        FD_FAIL(scratch.st, FD_EARG, __func__, "is for processes of one m and v for all modes");
    obs_fits(scratch.st, __func__, g->o, &p->noise->s);
    const ptrdiff_t n = b * fd_size(&g->o->s);
    double *z = fd_raw(&scratch, double, (ptrdiff_t)b * g->o->m), *tb = lin_at(&scratch, b, t);
    fd_real *D = fd_new(&scratch, fd_real, n);
    if (!D) return;
    gain_residual(g, 1, b, y, 1, de, d, z, scratch);
    fd_gain_add(g, 1, b, z, D, scratch);
    lin_apply(__func__, p, b, tb, move_mean, NULL, 2, INPUTS(x, D), x, scratch);
    if (!scratch.st->code) move_noise(g->o, p->law(p, t, 0).m, b, z, e);
}

/* The bridge: with f for `from`, k = m_f/m_t and v(f|t) = v_f - k^2 v_t, the residual
 * r = y_t - m_t y given that at f is N(k v_t/v_f r_f, v_t v(f|t)/v_f (A C A* + Gamma)). */
void fd_path_move(const fd_gain *g, const fd_process *p, int rule, double from, double t, int b,
                  const double *y, const double *z, double *path, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!g || !proc_given(__func__, p, st)) return;
    if (p->modal) FD_FAIL(st, FD_EARG, __func__, "is for processes of one m and v for all modes");
    if (rule < FD_PATH_BRIDGE || rule > FD_PATH_MEAN)
        FD_FAIL(st, FD_EARG, __func__, "no such path", rule);
    if (!(t < from)) FD_FAIL(st, FD_EARG, __func__, "times must fall");
    const ptrdiff_t m = g->o->m;
    double *e = fd_raw(&scratch, double, b * m);
    if (!e) return;
    fd_coef T = p->law(p, t, 0), F = T;
    double pull = 0, var = rule == FD_PATH_MEAN ? 0 : T.v;
    if (rule == FD_PATH_BRIDGE && isfinite(from)) {
        F = p->law(p, from, 0);
        double k = F.m / T.m;
        pull = k * T.v / F.v, var = T.v * fmax(0, F.v - k * k * T.v) / F.v;
    }
    if (var > 0 && z) gain_run(g, GAIN_ROOT, 1, 1, b, z, e, scratch);
    for (ptrdiff_t i = 0; i < b * m && !st->code; i++)
        path[i] = T.m * y[i] + (pull ? pull * (path[i] - F.m * y[i]) : 0)
                  + (var > 0 && z ? sqrt(var) * e[i] : 0);
}

void fd_noise_step(const fd_sampler *how, const fd_obs *o, double t, double s, int b, double *e,
                   double *de, const double *z, fd_arena scratch)
{
    if (!o || o->m < 1 || !proc_given(__func__, how->p, scratch.st)) return;
    if (how->p->modal || !obs_noisy(o))
        FD_FAIL(scratch.st, FD_EARG, __func__,
                "needs noise, and a process of one m and v for all modes");
    fd_row r = fd_step_row(how->p, how->scheme, how->eta, t, s, 0, scratch.st);
    fd_coef f = how->p->law(how->p, t, 0);
    const double P = f.m * f.m + f.v, gain = f.m / P;
    const double sd = sqrt(r.sd * r.sd + r.gain * r.gain * f.v / P);      /* Var(e0|e) = v/P */
    double *n = fd_raw(&scratch, double, o->m);
    for (int i = 0; i < b && n; i++) {
        if (z) memcpy(n, z + (ptrdiff_t)i * o->m, (size_t)o->m * sizeof *n);
        if (z) obs_chol(o, NOISE_TIMES, n);
        for (int j = 0; j < o->m; j++) {
            double *ej = e + (ptrdiff_t)i * o->m + j, D = gain * *ej;
            if (de) de[(ptrdiff_t)i * o->m + j] = D;
            *ej = r.ax * *ej + r.aD * D + (z ? sd * n[j] : 0);
        }
    }
}

/* --- More models made of models --- */

typedef struct { const fd_process *p; fd_model c, u; double scale; } blend;

static void blend_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena scratch)
{
    const blend *o = self;
    if (!proc_ready("fd_free_guided", o->p, scratch.st)
        || !space_fits(scratch.st, "fd_free_guided", s, &o->p->noise->s)) return;
    fd_real *z = fd_raw(&scratch, fd_real, b * fd_size(s));
    if (!z) return;
    fd_predict(&o->c, FD_X0, o->p, b, x, t, y, scratch);
    fd_predict(&o->u, FD_X0, o->p, b, x, t, z, scratch);
    for (ptrdiff_t i = 0; i < b * fd_size(s) && !scratch.st->code; i++)
        y[i] = (fd_real)((double)z[i] + o->scale * ((double)y[i] - (double)z[i]));
}

fd_model fd_free_guided(fd_arena *a, const fd_process *p, fd_model conditional,
                        fd_model unconditional, double scale)
{
    blend *o = fd_new(a, blend, 1);
    if (!o) return (fd_model){ 0 };
    *o = (blend){ p, conditional, unconditional, scale };
    return (fd_model){ FD_X0, blend_eval, NULL, NULL, o, NULL };
}

typedef struct { const fd_gain *g; const fd_process *p; const double *y; fd_model raw; } ucos;

/* D at z = x/m + r C A* (r A C A* + Gamma)^-1 (y - A x/m), r = v/m^2 */
static void ucos_eval(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                      fd_real *y, fd_arena scratch)
{
    const ucos *o = self;
    if (!obs_fits(scratch.st, "fd_ucos", o->g->o, s)) return;
    const ptrdiff_t n = fd_size(s);
    fd_real *z = fd_raw(&scratch, fd_real, b * n);
    for (int i = 0; i < b && z; i++) {
        fd_coef f = o->p->law(o->p, t[i], 0);
        if (!(f.m > 0))
            FD_FAIL(scratch.st, FD_EARG, "fd_ucos",
                    "there is no such state where m = 0: start below tmax");
        for (ptrdiff_t k = i * n; k < (i + 1) * n; k++) z[k] = (fd_real)((double)x[k] / f.m);
        gain_condition(o->g, f.v / (f.m * f.m), 1, o->y, 0, NULL, z + i * n, scratch);
    }
    if (!scratch.st->code) o->raw.eval(o->raw.self, s, b, z, t, y, scratch);
}

/* Is F linear, and the process one of m and v for all modes? */
static int ucos_ready(fd_status *st, const char *where, const fd_gain *g, const fd_process *p)
{
    if (!g || !proc_given(where, p, st) || !obs_linear(st, where, g->o)) return 0;
    if (p->modal) FD_FAIL(st, FD_EARG, where, "is for processes of one m and v for all modes");
    return !st->code;
}

fd_model fd_ucos(fd_arena *a, const fd_gain *g, const fd_process *p, const double *y, fd_model raw)
{
    if (!ucos_ready(a->st, __func__, g, p) || !obs_ready(a->st, __func__, g->o, y))
        return (fd_model){ 0 };
    if (!raw.eval)
        return FD_FAIL(a->st, FD_EARG, __func__, "the raw model is empty"), (fd_model){ 0 };
    ucos *o = fd_new(a, ucos, 1);
    if (!o) return (fd_model){ 0 };
    *o = (ucos){ g, p, y, raw };
    return (fd_model){ FD_X0, ucos_eval, NULL, NULL, o, NULL };
}

void fd_ucos_noise(const fd_gain *g, const fd_process *p, fd_rng r, int first, int b,
                   const double *t, fd_real *n, fd_arena scratch)
{
    if (!ucos_ready(scratch.st, __func__, g, p)) return;
    const ptrdiff_t size = fd_size(&g->o->s);
    double *eta = fd_raw(&scratch, double, (ptrdiff_t)b * g->o->m);
    double *y = fd_new(&scratch, double, g->o->m);
    if (!y) return;
    fd_cov_draw(g->c, r, first, b, n, scratch);
    obs_noises(g->o, r, first, b, eta, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        fd_coef f = p->law(p, t[i], 0);
        double ratio = f.v / (f.m * f.m);
        if (!(f.m > 0))
            FD_FAIL(scratch.st, FD_EARG, __func__, "there is no such noise where m = 0");
        for (ptrdiff_t j = 0; j < size; j++)
            n[i * size + j] = (fd_real)(sqrt(ratio) * (double)n[i * size + j]);
        fd_gain_condition(g, ratio, 1, y, eta + (ptrdiff_t)i * g->o->m, n + i * size, scratch);
    }
}

/* --- Amortised ---
 *
 * One network that is told of y [CDE code, scripts/train_conditional_quadratic.py]. */

struct fd_amortised {
    fd_condition how;
    const fd_obs *o;                     /* NULL: nothing is observed */
    fd_precond *pre;                     /* G, cin, and cout without y; NULL: not needed */
    post_model *post;                    /* E[x0|x_t, y]; NULL: not needed */
    fd_gain *gain;                       /* of c0, for E[x0|y]; NULL: not needed */
    fd_real *mean, *sd;                  /* [ch][points]; sd of x0 given y over sd0 */
    double sd0, volume;
};
typedef struct {
    const fd_amortised *w;
    const double *y;
    fd_model raw;
    fd_real *still;                      /* channels that are the same at all times */
} amort_model;

enum { AMORT_STILL = FD_SEES_VALUES | FD_SEES_POSTERIOR, AMORT_ALL = 2 * FD_SEES_SLOPE - 1 };

/* inputs for each channel of a function, besides the state */
static int amort_more(int sees)
{
    return 2 * !!(sees & FD_SEES_VALUES) + 2 * !!(sees & FD_SEES_POSTERIOR)
         + !!(sees & FD_SEES_DENOISED) + !!(sees & FD_SEES_SLOPE);
}

int fd_amortised_inputs(const fd_condition *how)
{
    return how->p && how->p->noise ? how->p->noise->s.ch * (1 + amort_more(how->sees)) : 0;
}

/* Do the choices go together, and with the observation? */
static int amort_ready(fd_status *st, const char *where, const fd_condition *h, const fd_obs *o)
{
    const int gauss = h->base == FD_BASE_GAUSS || h->sees & (FD_SEES_POSTERIOR | FD_SEES_DENOISED);
    if (!proc_ready(where, h->p, st)) return 0;
    if (h->base < FD_BASE_NONE || h->base > FD_BASE_GAUSS)
        FD_FAIL(st, FD_EARG, where, "no such base", h->base);
    else if (h->sees < 0 || h->sees > AMORT_ALL)
        FD_FAIL(st, FD_EARG, where, "no such channels", h->sees);
    else if (h->base == FD_BASE_NONE && !conv_known(st, where, h->predicts)) return 0;
    else if (h->base == FD_BASE_MODEL && !h->model.eval)
        FD_FAIL(st, FD_EARG, where, "the base model is empty");
    else if (!h->c0 && (h->base != FD_BASE_NONE || h->sees & ~FD_SEES_VALUES))
        FD_FAIL(st, FD_EARG, where, "this base and these channels need the covariance of the data");
    else if (o && !obs_fits(st, where, o, &h->p->noise->s)) return 0;
    else if (o && h->sees & FD_SEES_VALUES && o->apply != obs_picks_apply)
        FD_FAIL(st, FD_EARG, where, "FD_SEES_VALUES is for fd_obs_pick");
    else if (o && gauss) return obs_linear(st, where, o);
    return !st->code;
}

fd_amortised *fd_amortised_new(fd_arena *a, const fd_condition *how, const fd_obs *o)
{
    if (o && o->m < 1) return NULL;
    if (!amort_ready(a->st, __func__, how, o)) return NULL;
    const fd_space *s = &how->p->noise->s;
    const ptrdiff_t n = fd_size(s);
    const int state = how->base != FD_BASE_NONE || how->sees & FD_SEES_SLOPE;
    fd_amortised *w = fd_new(a, fd_amortised, 1);
    fd_real *mean = fd_new(a, fd_real, n), *sd = fd_new(a, fd_real, n);
    if (!sd) return NULL;
    if (how->mean) memcpy(mean, how->mean, (size_t)n * sizeof *mean);
    *w = (fd_amortised){ .how = *how, .o = o, .mean = mean, .sd = sd, .sd0 = 1,
                         .volume = space_volume(s) };
    if (how->c0) {
        double power = fd_cov_trace(how->c0) / w->volume;
        if (power > 0) w->sd0 = sqrt(power);
    }
    if (state) w->pre = fd_precond_new(a, how->p, mean, how->c0);
    if (o && (how->base == FD_BASE_GAUSS || how->sees & FD_SEES_DENOISED))
        w->post = post_new(a, __func__, how->p, &(fd_mix){ 1, NULL, mean, &how->c0 }, o, NULL);
    if (o && how->sees & FD_SEES_POSTERIOR) {
        w->gain = fd_gain_new(a, o, how->c0, NULL);
        const fd_posterior p = { .c0 = how->c0, .gain = w->gain };
        if (w->gain) fd_posterior_std(&p, sd, *a);
        for (ptrdiff_t i = 0; i < n; i++) sd[i] = (fd_real)((double)sd[i] / w->sd0);
    }
    return a->st->code ? NULL : w;
}

void fd_amortised_scale(const fd_amortised *w, double t, double *cin, double *cout,
                        fd_arena scratch)
{
    *cin = *cout = 1;
    if (!w || scratch.st->code || w->how.base == FD_BASE_NONE) return;
    const fd_space *s = &w->how.p->noise->s;
    fd_precond_scale(w->pre, t, cin, cout);
    if (w->how.base != FD_BASE_GAUSS || !w->o) return;
    fd_real *x = fd_new(&scratch, fd_real, 2 * fd_size(s));
    double *y = fd_new(&scratch, double, w->o->m), left = 0;
    if (y) post_run(w->post, s, 1, x, &t, y, 0, x + fd_size(s), &left, scratch);
    *cout = sqrt(left / (w->volume * s->ch));
}

/* z [b][..][points], the channels without x_t and t; y is [m], or with each = 1 [b][m] */
static void amort_still(const fd_amortised *w, int b, const double *y, int each, fd_real *z,
                        fd_arena scratch)
{
    const fd_obs *o = w->o;
    const fd_space *s = &w->how.p->noise->s;
    const ptrdiff_t n = fd_size(s), all = n * amort_more(w->how.sees & AMORT_STILL);
    const int m = o ? o->m : 0;
    memset(z, 0, (size_t)(b * all) * sizeof *z);
    if (!o) return;
    if (w->how.sees & FD_SEES_VALUES) {
        const ptrdiff_t *index = ((const obs_own *)o->self)->index;
        for (int i = 0; i < b; i++) {
            fd_real *v = z + i * all, *mask = v + n;
            for (int j = 0; j < m; j++) mask[index[j]] += 1;
            for (int j = 0; j < m; j++) {                             /* picked twice: the mean */
                double r = y[each ? (ptrdiff_t)i * m + j : j] - (double)w->mean[index[j]];
                v[index[j]] += (fd_real)(r / w->sd0 / (double)mask[index[j]]);
            }
            for (int j = 0; j < m; j++) mask[index[j]] = 1;
        }
        z += 2 * n;
    }
    if (!(w->how.sees & FD_SEES_POSTERIOR)) return;
    double *r = fd_raw(&scratch, double, m);
    fd_real *d = fd_raw(&scratch, fd_real, n);
    for (int i = 0; i < b && d && !scratch.st->code; i++) {
        memset(d, 0, (size_t)n * sizeof *d);
        obs_residual(o, 1, y + (each ? (ptrdiff_t)i * m : 0), 0, w->mean, r, scratch);
        fd_gain_solve(w->gain, 1, 1, 1, r, r, scratch);
        fd_gain_add(w->gain, 1, 1, r, d, scratch);
        for (ptrdiff_t j = 0; j < n; j++) z[i * all + j] = (fd_real)((double)d[j] / w->sd0);
        memcpy(z + i * all + n, w->sd, (size_t)n * sizeof *z);
    }
}

/* What F sees, in [b][inputs][points], the base [b][ch][points] (not written where there is none)
 * and cout [b]. still: the channels of amort_still, for each function or one for all. */
static void amort_in(const fd_amortised *w, int b, const double *y, int each, const fd_real *still,
                     const fd_real *x, const double *t, fd_real *in, fd_real *base, double *cout,
                     fd_arena scratch)
{
    const fd_condition *h = &w->how;
    const fd_process *p = h->p;
    const fd_space *s = &p->noise->s;
    const fd_obs *o = w->o;
    const ptrdiff_t n = fd_size(s), fixed = n * amort_more(h->sees & AMORT_STILL);
    const ptrdiff_t all = n * (1 + amort_more(h->sees));
    fd_real *g = fd_raw(&scratch, fd_real, w->pre ? b * n : 0);
    fd_real *u = fd_raw(&scratch, fd_real, w->pre ? b * n : 0);
    fd_real *d = fd_raw(&scratch, fd_real, w->post ? b * n : 0);
    double *left = fd_raw(&scratch, double, b);
    if (!left) return;
    if (w->pre) precond_in(w->pre, s, b, x, t, g, u, scratch);
    if (w->post) post_run(w->post, s, b, x, t, y, each, d, left, scratch);
    if (h->base == FD_BASE_MODEL) fd_predict(&h->model, FD_X0, p, b, x, t, base, scratch);
    if (scratch.st->code) return;
    if (h->base == FD_BASE_GAUSS) memcpy(base, o ? d : g, (size_t)(b * n) * sizeof *base);
    for (int i = 0; i < b; i++) {
        double cin;
        fd_real *to = in + i * all;
        cout[i] = 1;
        if (h->base != FD_BASE_NONE) fd_precond_scale(w->pre, t[i], &cin, &cout[i]);
        if (h->base == FD_BASE_GAUSS && o) cout[i] = sqrt(left[i] / (w->volume * s->ch));
        memcpy(to, (h->base == FD_BASE_NONE ? x : u) + i * n, (size_t)n * sizeof *to);
        memcpy(to + n, still + (each ? i * fixed : 0), (size_t)fixed * sizeof *to);
        memset(to + n + fixed, 0, (size_t)(all - n - fixed) * sizeof *to);
        to += n + fixed;
        if (!(h->sees & FD_SEES_DENOISED) || !o) continue;
        for (ptrdiff_t j = 0; j < n; j++)
            to[j] = (fd_real)(((double)d[i * n + j] - (double)w->mean[j]) / w->sd0);
    }
    if (!(h->sees & FD_SEES_SLOPE) || !o) return;
    const fd_real *at = h->base == FD_BASE_MODEL ? base : g;
    double *r = fd_raw(&scratch, double, (ptrdiff_t)b * o->m);
    if (!r) return;
    obs_residual(o, b, y, each, at, r, scratch);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * o->m; i++) r[i] *= -2. / o->m;
    fd_obs_adjoint(o, b, at, r, u, scratch);
    fd_cov_pow(p->noise, 1, b, u, u, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++)
        memcpy(in + (i + 1) * all - n, u + i * n, (size_t)n * sizeof *in);
}

void fd_amortised_pair(const fd_amortised *w, int b, const double *y, const fd_real *x0,
                       const fd_real *eps, const fd_real *xt, const double *t, fd_real *in,
                       fd_real *target, double *cout, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!w || st->code) return;
    const fd_condition *h = &w->how;
    const ptrdiff_t n = fd_size(&h->p->noise->s);
    if (w->o && !y) FD_FAIL(st, FD_EARG, __func__, "needs the numbers that were observed");
    if (h->base == FD_BASE_NONE && h->predicts != FD_X0 && !eps)
        FD_FAIL(st, FD_EARG, __func__, "the target of this kind of prediction needs eps",
                h->predicts);
    fd_real *still = fd_raw(&scratch, fd_real, b * n * amort_more(h->sees & AMORT_STILL));
    fd_real *base = fd_raw(&scratch, fd_real, b * n);
    fd_real *c = fd_new(&scratch, fd_real, (ptrdiff_t)b * 3);
    double *out = fd_raw(&scratch, double, b);
    if (!out) return;
    amort_still(w, b, y, 1, still, scratch);
    amort_in(w, b, y, 1, still, xt, t, in, base, out, scratch);
    for (int i = 0; i < b && !st->code; i++) {
        c[i * 3] = (fd_real)(1 / out[i]), c[i * 3 + 1] = -c[i * 3];
        if (!isfinite(c[i * 3]))
            FD_FAIL(st, FD_EARG, __func__,
                    "x0 is known at this t: there is no target; function", i);
    }
    if (st->code) return;
    if (cout) memcpy(cout, out, (size_t)b * sizeof *cout);
    if (h->base == FD_BASE_NONE)
        fd_target(h->p, h->predicts, b, x0, eps ? eps : x0, t, target, scratch);
    else lin_batch(b, n, 2, c, INPUTS(x0, base), target);
}

static void amort_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *y, fd_arena scratch)
{
    const amort_model *o = self;
    const fd_amortised *w = o->w;
    const fd_condition *h = &w->how;
    const ptrdiff_t n = fd_size(s);
    if (!space_fits(scratch.st, "fd_amortised_model", s, &h->p->noise->s)) return;
    fd_space wide = *s;
    wide.ch = fd_amortised_inputs(h);
    fd_real *in = fd_raw(&scratch, fd_real, b * fd_size(&wide));
    fd_real *F = fd_raw(&scratch, fd_real, b * n);
    double *cout = fd_raw(&scratch, double, b);
    if (!cout) return;
    amort_in(w, b, o->y, 0, o->still, x, t, in, y, cout, scratch);
    if (scratch.st->code) return;
    o->raw.eval(o->raw.self, &wide, b, in, t, h->base == FD_BASE_NONE ? y : F, scratch);
    for (int i = 0; i < b && h->base != FD_BASE_NONE && !scratch.st->code; i++)
        lin_row(n, 2, (fd_real[3]){ 1, (fd_real)cout[i] }, INPUTS(y + i * n, F + i * n), y + i * n);
}

fd_model fd_amortised_model(fd_arena *a, const fd_amortised *w, const double *y, fd_model raw)
{
    const fd_model none = { 0 };
    if (!w || a->st->code || (w->o && !obs_ready(a->st, __func__, w->o, y))) return none;
    if (!raw.eval) return FD_FAIL(a->st, FD_EARG, __func__, "the raw model is empty"), none;
    amort_model *m = fd_new(a, amort_model, 1);
    const ptrdiff_t n = fd_size(&w->how.p->noise->s);
    fd_real *still = fd_raw(a, fd_real, n * amort_more(w->how.sees & AMORT_STILL));
    if (!m || !still) return none;
    *m = (amort_model){ w, y, raw, still };
    amort_still(w, 1, y, 0, still, *a);
    if (a->st->code) return none;
    const int kind = w->how.base == FD_BASE_NONE ? w->how.predicts : FD_X0;
    return (fd_model){ kind, amort_eval, NULL, NULL, m, NULL };
}

/* --- Split Gibbs --- */

double fd_time_at(const fd_process *p, double sigma)
{
    return p->law && sigma > 0 ? proc_time(p, log(sigma)) : NAN;
}

void fd_split_gibbs(const fd_sampler *how, const fd_gain *g, const double *y, double rho, fd_rng r,
                    int first, int b, fd_real *x, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!step_ready(how, __func__, st) || !g || !x || !obs_given(st, __func__, g->o, y)
        || !obs_fits(st, __func__, g->o, &how->p->noise->s)
        || !step_times(how, __func__, st)) return;
    const fd_process *p = how->p;
    const ptrdiff_t n = b * fd_size(&p->noise->s);
    double sigma = exp(proc_logsigma(p, how->t[0], 0));
    if (p->modal) FD_FAIL(st, FD_EARG, __func__, "is for processes of one m and v for all modes");
    if (!(fabs(sigma - rho) <= 1e-6 * rho))
        FD_FAIL(st, FD_EARG, __func__,
                "the sampler must start at the time at which s/m = rho: fd_time_at");
    double *eta = fd_raw(&scratch, double, (ptrdiff_t)b * g->o->m);
    fd_real *xi = fd_raw(&scratch, fd_real, n);
    if (!xi) return;
    obs_noises(g->o, fd_stream(r, 'g', 0), first, b, eta, scratch);
    fd_cov_draw(p->noise, fd_stream(r, 'g', 0), first, b, xi, scratch);
    for (ptrdiff_t i = 0; i < n; i++) xi[i] = (fd_real)((double)x[i] + rho * (double)xi[i]);
    gain_condition(g, rho * rho, b, y, 0, eta, xi, scratch);              /* z | x */
    fd_run *run = fd_begin(&scratch, how, r, first, b);
    double m0 = p->law(p, how->t[0], 0).m;
    for (ptrdiff_t i = 0; i < n && run; i++) run->x[i] = (fd_real)(m0 * (double)xi[i]);
    while (fd_step(run, scratch)) { }                                     /* x | z */
    if (run && !st->code) memcpy(x, run->x, (size_t)n * sizeof *x);
}

/* --- Ensembles --- */

void fd_esmda(const fd_obs *o, const double *y, double alpha, fd_rng r, int b, fd_real *x,
              fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!obs_ready(st, __func__, o, y)) return;
    const int m = o->m;
    const ptrdiff_t n = fd_size(&o->s);
    if (b < 2 || !(alpha > 0) || !obs_noisy(o))
        FD_FAIL(st, FD_EARG, __func__,
                "needs two functions or more, alpha > 0, and noise; functions", b);
    double *d = fd_raw(&scratch, double, (ptrdiff_t)b * m);
    double *eta = fd_raw(&scratch, double, (ptrdiff_t)b * m);
    double *mid = fd_new(&scratch, double, m), *S = fd_raw(&scratch, double, (size_t)m * (size_t)m);
    fd_real *X = fd_raw(&scratch, fd_real, b * n), *W = fd_raw(&scratch, fd_real, (ptrdiff_t)b * b);
    double *mean = fd_new(&scratch, double, n);
    if (!mean) return;
    o->apply(o->self, &o->s, b, x, d, scratch);
    obs_noises(o, r, 0, b, eta, scratch);
    if (st->code) return;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * m; i++) mid[i % m] += d[i] / b;
    for (ptrdiff_t i = 0; i < b * n; i++) mean[i % n] += (double)x[i] / b;
    for (ptrdiff_t i = 0; i < b * n; i++) X[i] = (fd_real)((double)x[i] - mean[i % n]);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)b * m; i++) {
        eta[i] = y[i % m] + sqrt(alpha) * eta[i] - d[i];
        d[i] -= mid[i % m];
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < b; k++)
                sum += d[(ptrdiff_t)k * m + i] * d[(ptrdiff_t)k * m + j] / (b - 1.);
            S[(ptrdiff_t)i * m + j] = sum + alpha * obs_gamma(o, i, j);
        }
    if (fd_cholesky(st, m, S)) return;
    for (int j = 0; j < b; j++) {
        double *z = eta + (ptrdiff_t)j * m;
        fd_solve_lower(m, S, 0, z);
        fd_solve_lower(m, S, 1, z);
        for (int i = 0; i < b; i++) {
            double sum = 0;
            for (int k = 0; k < m; k++) sum += d[(ptrdiff_t)i * m + k] * z[k];
            W[(ptrdiff_t)j * b + i] = (fd_real)(sum / (b - 1.));
        }
    }
    fd_gemm(0, 0, b, (int)n, b, 1, W, b, X, (int)n, 1, x, (int)n, scratch);
}

/* --- Twisted particles ---
 *
 * x' = ax x + aD (D + (v/m) C q) + sd xi, where q = J* A* z is that of the guidance. With
 * k = aD v/m a step has the weight
 *
 *     log p/q (x'|x) = -k <xi, q>/sd - k^2 <q, C q>/(2 sd^2)
 *
 * which needs no inverse of C. A step without noise is the model's own. */

/* log N(y; A D, Gamma + r2 A C A*) for b functions, D [b][ch][points] */
static void twist_log(const fd_gain *g, double r2, const double *y, int b, const fd_real *D,
                      double *l, fd_arena scratch)
{
    const int m = g->o->m;
    double *r = fd_raw(&scratch, double, (ptrdiff_t)b * m);
    double *z = fd_raw(&scratch, double, (ptrdiff_t)b * m);
    if (!z) return;
    obs_residual(g->o, b, y, 0, D, r, scratch);
    fd_gain_solve(g, r2, 1, b, r, z, scratch);
    double det = fd_gain_logdet(g, r2, 1, scratch);
    for (int i = 0; i < b; i++) {
        l[i] = -.5 * det - .5 * m * log(2 * PI);
        for (int k = 0; k < m; k++) l[i] -= .5 * r[(ptrdiff_t)i * m + k] * z[(ptrdiff_t)i * m + k];
    }
}

fd_particles *fd_particles_begin(fd_arena *a, const fd_sampler *how, const fd_guide *guide,
                                 fd_rng r, int n)
{
    fd_status *st = a->st;
    if (!step_ready(how, __func__, st) || !obs_given(st, __func__, guide->o, guide->y)) return NULL;
    if (how->p->modal || how->scheme >= FD_ONE_STAGE || how->scheme == FD_ANCESTRAL_OPTIMAL
        || how->corrector || how->churn > 0)
        FD_FAIL(st, FD_EARG, __func__,
                "needs a process of one m for all modes and a plain one-stage scheme");
    if (!obs_noisy(guide->o)) FD_FAIL(st, FD_EARG, __func__, "needs noisy observations");
    if (n < 2) FD_FAIL(st, FD_EARG, __func__, "needs particles; number", n);
    if (guide->rule) guide_rule(st, __func__, guide, &how->model);
    fd_particles *p = fd_new(a, fd_particles, 1);
    guide_model *g = fd_new(a, guide_model, 1);
    fd_gain *gain = fd_gain_new(a, guide->o, how->p->noise, NULL);
    fd_real *D = fd_raw(a, fd_real, n * fd_size(&how->p->noise->s));
    double *w = fd_new(a, double, 2 * n);
    fd_run *run = fd_begin(a, how, r, 0, n);
    double *tb = run ? lin_at(a, n, how->t[0]) : NULL;
    if (!tb) return NULL;
    *g = (guide_model){ *guide, gain };
    g->how.p = how->p, g->how.model = how->model;
    *p = (fd_particles){ run, gain, guide->y, guide->rule ? g : NULL, n, 0, w, w + n, 0, D };
    fd_predict(&how->model, FD_X0, how->p, n, run->x, tb, D, *a);
    twist_log(gain, how->p->law(how->p, how->t[0], 0).v, p->y, n, D, p->twist, *a);
    for (int i = 0; i < n; i++) p->logw[i] = p->twist[i];
    return st->code ? NULL : p;
}

double fd_particles_ess(const fd_particles *p)
{
    double ess = NAN;
    if (p) fd_proposal_mean(p->n, p->logw, &ess);
    return ess;
}

void fd_particles_resample(fd_particles *p, fd_arena scratch)
{
    if (!p || scratch.st->code) return;
    fd_run *run = p->run;
    const int n = p->n;
    const ptrdiff_t size = fd_size(&run->how.p->noise->s);
    fd_real *x = fd_raw(&scratch, fd_real, n * size), *D = fd_raw(&scratch, fd_real, n * size), lot;
    double *tw = fd_raw(&scratch, double, n), sum = 0, at;
    const double mean = fd_proposal_mean(n, p->logw, NULL);
    if (!tw) return;
    fd_uniform(fd_stream(run->r, 'r', (uint32_t)run->k), 1, &lot);
    at = (double)lot;
    for (int i = 0, j = 0; i < n; i++)                /* systematic: lot + j below the sum of n w */
        for (sum += exp(p->logw[i] - mean); j < n && (at + j < sum || i + 1 == n); j++) {
            memcpy(x + j * size, run->x + i * size, (size_t)size * sizeof *x);
            memcpy(D + j * size, p->d + i * size, (size_t)size * sizeof *D);
            tw[j] = p->twist[i];
        }
    memcpy(run->x, x, (size_t)(n * size) * sizeof *x);
    memcpy(p->d, D, (size_t)(n * size) * sizeof *D);
    memcpy(p->twist, tw, (size_t)n * sizeof *tw);
    p->logz += mean;
    for (int i = 0; i < n; i++) p->logw[i] = 0;
    p->resampled++;
}

int fd_particles_step(fd_particles *p, fd_arena scratch)
{
    if (!p || scratch.st->code || p->run->k >= p->run->how.steps) return 0;
    fd_run *run = p->run;
    const fd_sampler *how = &run->how;
    const fd_process *pr = how->p;
    const fd_cov *C = pr->noise;
    const int n = p->n, last = run->k + 1 == how->steps;
    const ptrdiff_t size = fd_size(&C->s);
    if (fd_particles_ess(p) < .5 * n) fd_particles_resample(p, scratch);
    double t = how->t[run->k], s = how->t[run->k + 1];
    fd_row row = fd_step_row(pr, how->scheme, how->eta, t, s, 0, scratch.st);
    if (last && how->quiet) row.sd = 0;
    fd_coef f = pr->law(pr, t, 0);
    double *tb = lin_at(&scratch, n, t);
    double *sb = lin_at(&scratch, n, last && how->tdenoise > 0 ? how->tdenoise : s);
    double *l = fd_new(&scratch, double, n), *was = fd_raw(&scratch, double, n);
    double k = row.aD * f.v / f.m;
    fd_real *q = fd_raw(&scratch, fd_real, n * size), *Cq = fd_raw(&scratch, fd_real, n * size);
    fd_real *xi = fd_raw(&scratch, fd_real, n * size), *D = fd_raw(&scratch, fd_real, n * size);
    fd_real *w = fd_raw(&scratch, fd_real, n * size);
    if (!w) return 0;
    const guide_model *g = p->guide;
    int guided = g && row.sd > 0 && f.m >= GUIDE_LEAST;
    if (row.sd > 0) fd_cov_draw(C, fd_stream(run->r, 's', (uint32_t)run->k + 1), 0, n, xi, scratch);
    else memset(xi, 0, (size_t)(n * size) * sizeof *xi);
    memcpy(D, p->d, (size_t)(n * size) * sizeof *D);     /* of the model: kept from the last step */
    if (guided) {
        guide_slope(g, n, run->x, tb, D, w, q, scratch);
        fd_cov_pow(C, 1, n, q, Cq, scratch);
    }
    for (int i = 0; i < n && !scratch.st->code; i++) {
        fd_real *x = run->x + i * size;
        if (guided)
            l[i] = -k * fd_inner(&C->s, xi + i * size, q + i * size) / row.sd
                   - .5 * k * k * fd_inner(&C->s, q + i * size, Cq + i * size) / (row.sd * row.sd);
        for (ptrdiff_t j = i * size; j < (i + 1) * size; j++)
            x[j - i * size] = (fd_real)(row.ax * (double)run->x[j] + row.aD * (double)D[j]
                                        + (guided ? k * (double)Cq[j] : 0)
                                        + row.sd * (double)xi[j]);
    }
    fd_coef e = pr->law(pr, s, 0);
    if (!last || (how->denoise && e.v > 0))
        fd_predict(&how->model, FD_X0, pr, n, run->x, sb, p->d, scratch);
    if (last && how->denoise && e.v > 0 && !scratch.st->code)
        memcpy(run->x, p->d, (size_t)(n * size) * sizeof *D);
    if (scratch.st->code) return 0;
    memcpy(was, p->twist, (size_t)n * sizeof *was);
    twist_log(p->gain, last ? 0 : e.v, p->y, n, last ? run->x : p->d, p->twist, scratch);
    for (int i = 0; i < n; i++) p->logw[i] += p->twist[i] - was[i] + l[i];
    run->k++;
    return !last;
}

double fd_particles_evidence(const fd_particles *p)
{
    return p ? p->logz + fd_proposal_mean(p->n, p->logw, NULL) : NAN;
}

/* --- As released --- */

/* The residuals r = y - F of one function become dL/dF. */
static void released_loss(int rule, int m, double *r)
{
    double sum = 0;
    for (int i = 0; i < m; i++) sum += r[i] * r[i];
    double k = rule == FD_FUNDPS ? 2. / m
             : sum > 0 ? 1 / sqrt(rule == FD_FUNDPS_ROOT ? m * sum : sum) : 0;
    for (int i = 0; i < m; i++) r[i] *= -k;
}

/* Is all there for step k? */
static int released_ready(const fd_released *g, int k, fd_status *st)
{
    static const char where[] = "fd_released_step";
    const fd_sampler *how = &g->how;
    const fd_process *p = how->p;
    if (!obs_ready(st, where, g->o, g->y) || !step_ready(how, where, st)
        || !step_times(how, where, st)) return 0;
    if (k < 0 || k >= how->steps) FD_FAIL(st, FD_EARG, where, "no such step", k, how->steps);
    else if (g->rule < FD_FUNDPS || g->rule > FD_DIFFUSIONPDE)
        FD_FAIL(st, FD_EARG, where, "no such rule", g->rule);
    else if (!(g->zeta >= 0 && isfinite(g->zeta)))
        FD_FAIL(st, FD_EARG, where, "zeta is negative or not finite");
    else if (!how->model.vjp) FD_FAIL(st, FD_EARG, where, "needs a model with vjp");
    else if (p->modal) FD_FAIL(st, FD_EARG, where, "is for processes of one m and v for all modes");
    else return obs_fits(st, where, g->o, &p->noise->s);
    return !st->code;
}

/* With k = sigma_s/sigma_t: z1 = k z + (1 - k) D, so that grad_z L = k q + (1 - k) J* q, where
 * q = J1* A* w at z1. For x in place of z the adjoints are J/m. Where m < 1e-4 the state is taken
 * for one at the time at which m = 1e-4. */
void fd_released_step(const fd_released *g, int k, int b, fd_real *x, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!x || !released_ready(g, k, st)) return;
    const fd_sampler *how = &g->how;
    const fd_process *p = how->p;
    const fd_guide guide = { .p = p, .model = how->model, .o = g->o };
    const double t = guide_time(p, how->t[k]), s = how->t[k + 1];
    const fd_coef T = p->law(p, t, 0), S = p->law(p, s, 0);
    const int end = !(S.v > 0), m = g->o->m;
    const ptrdiff_t n = b * fd_size(&p->noise->s);
    if (!(S.m > 0 && T.v > 0)) FD_FAIL(st, FD_EARG, __func__, "sigma is infinite or 0 in the step");
    if (st->code) return;
    const double from = sqrt(T.v) / T.m, to = sqrt(S.v) / S.m, keep = to / from;
    const double late = g->rule == FD_DIFFUSIONPDE && k + 1 > .8 * how->steps ? .1 : 1;
    double w = g->zeta * (g->rule == FD_DIFFUSIONPDE ? late : fmin(1, from));
    if (g->rule != FD_DIFFUSIONPDE && k + 1 == how->steps) w = 0;
    fd_real *D = fd_raw(&scratch, fd_real, n), *D1 = fd_raw(&scratch, fd_real, n);
    fd_real *x1 = fd_raw(&scratch, fd_real, n);
    fd_real *q = fd_raw(&scratch, fd_real, n), *q1 = fd_raw(&scratch, fd_real, n);
    double *r = fd_raw(&scratch, double, (ptrdiff_t)b * m);
    double *tb = lin_at(&scratch, b, t), *sb = lin_at(&scratch, b, s);
    if (!sb) return;
    step_predict(how, b, x, tb, D, scratch);
    step_sum(n, 2, keep * S.m / T.m, x, (1 - keep) * S.m, D, 0, NULL, x1);
    if (end) memcpy(D1, D, (size_t)n * sizeof *D);
    else step_predict(how, b, x1, sb, D1, scratch);
    memset(q, 0, (size_t)n * sizeof *q);
    if (w > 0 && !st->code) {
        obs_residual(g->o, b, g->y, 0, D1, r, scratch);
        for (int i = 0; i < b; i++) released_loss(g->rule, m, r + (ptrdiff_t)i * m);
        fd_obs_adjoint(g->o, b, D1, r, q, scratch);
        if (!end) {
            guide_adjoint(&guide, b, x1, sb, q, q1, scratch);
            step_sum(n, 1, S.m, q1, 0, NULL, 0, NULL, q);
        }
        guide_adjoint(&guide, b, x, tb, q, q1, scratch);
        if (end) step_sum(n, 1, T.m, q1, 0, NULL, 0, NULL, q);
        else step_sum(n, 2, keep, q, (1 - keep) * T.m, q1, 0, NULL, q);
        if (!st->code) space_riesz(&p->noise->s, 0, b, q);
    }
    if (st->code) return;
    if (end) step_sum(n, 2, 1, x1, -w * S.m, q, 0, NULL, x);
    else {                               /* z + (to - from)/2 ((z - D)/from + (z1 - D1)/to) */
        const double a = .5 * (1 - keep), c = .5 * (1 - 1 / keep);
        step_sum(n, 3, (1 - a) * S.m / T.m, x, a * S.m, D, c, x1, x);
        step_sum(n, 3, 1, x, -c * S.m, D1, -w * S.m, q, x);
    }
}

/* pair_noise with the noise of x, which at t, ctx, is (x - m D)/sqrt(v) */
static const char *eci_keep(const void *ctx, const fd_process *p, double s, double mu, double c[3])
{
    fd_coef f = p->law(p, s, mu), T = p->law(p, *(const double *)ctx, mu);
    if (!(T.v > 0)) return "v(t) = 0: no noise to keep";
    c[0] = f.m, c[1] = sqrt(f.v / T.v), c[2] = -c[1] * T.m;
    return NULL;
}

void fd_eci_step(const fd_process *p, const fd_model *m, const fd_gain *g, const double *y,
                 double t, double s, int b, fd_real *x, const fd_real *eps, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!proc_ready(__func__, p, st) || !x) return;
    const ptrdiff_t n = b * fd_size(&p->noise->s);
    if (!(s < t)) FD_FAIL(st, FD_EARG, __func__, "times must fall");
    if (g && (!y || obs_noisy(g->o)))
        FD_FAIL(st, FD_EARG, __func__, "takes numbers y, without noise");
    if (g) obs_fits(st, __func__, g->o, &p->noise->s);
    fd_real *D = fd_raw(&scratch, fd_real, n), *E = fd_raw(&scratch, fd_real, n);
    double *tb = lin_at(&scratch, b, t), *sb = lin_at(&scratch, b, s);
    if (!sb) return;
    fd_predict(m, FD_X0, p, b, x, tb, D, scratch);
    memcpy(E, D, (size_t)n * sizeof *E);
    if (g) fd_project(g, b, y, E, NULL, scratch);             /* [ECI code, models/functional.py] */
    if (eps) lin_apply(__func__, p, b, sb, pair_noise, NULL, 2, INPUTS(E, eps), x, scratch);
    else lin_apply(__func__, p, b, sb, eci_keep, &t, 3, INPUTS(E, x, D), x, scratch);
}

/* ==== III. Langevin dynamics, Markov chains, bridges, control ================================= *
 *
 *     code     meaning
 *     Phi      -log likelihood; the law of a chain is exp(-Phi(x)) N(mean, C)(dx)
 *     u        x - mean, the state of a chain
 *     h        the length of a step
 *     a, q     of a linear equation: dX_k = -a_k X_k dt + sqrt(q_k) dw_k, until the time T
 *     g(h)     (1 - e^-2ah)/(2a): X_k(t + h) = e^-ah X_k(t) + sqrt(q g(h)) xi
 *     Sigma    g g^T of a system dX = f dt + g dW of d numbers with the noise of w numbers
 */

/* ---- Langevin dynamics and chains ------------------------------------------------------------ */

/* what a potential of an observation keeps */
typedef struct { const fd_obs *o; const double *y; } obs_data;

static double obs_value(const void *self, const fd_space *s, const fd_real *x, fd_real *g,
                        fd_arena scratch)
{
    const obs_data *o = self;
    if (!obs_fits(scratch.st, "fd_obs_potential", o->o, s)) return NAN;
    return fd_obs_misfit(o->o, o->y, x, g, scratch);
}

fd_potential fd_obs_potential(fd_arena *a, const fd_obs *o, const double *y)
{
    fd_potential none = { NULL, NULL };
    if (!obs_ready(a->st, __func__, o, y)) return none;
    if (!obs_noisy(o))
        return FD_FAIL(a->st, FD_EARG, __func__,
                       "the observation has no noise, so there is no likelihood"), none;
    obs_data *d = fd_new(a, obs_data, 1);
    if (!d) return none;
    *d = (obs_data){ o, y };
    return (fd_potential){ obs_value, d };
}

/* z = C grad Phi(x) for b functions; 0 where phi is NULL */
static void chain_pull(const fd_cov *c, const fd_potential *phi, int b, const fd_real *x,
                       fd_real *z, fd_arena scratch)
{
    const ptrdiff_t n = fd_size(&c->s);
    if (!phi) { memset(z, 0, (size_t)(b * n) * sizeof *z); return; }
    for (int i = 0; i < b && !scratch.st->code; i++)
        phi->value(phi->self, &c->s, x + i * n, z + i * n, scratch);
    fd_cov_pow(c, 1, b, z, z, scratch);
}

/* A state that is not finite comes of a step that is too long. */
static void lang_check(const char *where, ptrdiff_t n, const fd_real *x, fd_status *st)
{
    if (!st->code && !step_finite(n, x))
        FD_FAIL(st, FD_ENAN, where, "the state is not finite: the step h is too long");
}

void fd_langevin(const fd_process *p, const fd_model *m, const fd_potential *phi, double t,
                 double h, double w, int b, fd_real *x, const fd_real *xi, fd_arena scratch)
{
    proc_given(__func__, p, scratch.st);              /* or why there is none */
    if (scratch.st->code || !p->noise || (phi && !phi->value)) return;
    const ptrdiff_t n = b * fd_size(&p->noise->s);
    fd_real *s = fd_raw(&scratch, fd_real, n), *g = fd_raw(&scratch, fd_real, n);
    double *tb = lin_at(&scratch, b, t);
    if (!tb) return;
    fd_predict(m, FD_SCORE, p, b, x, tb, s, scratch);
    chain_pull(p->noise, phi, b, x, g, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++)
        x[i] = (fd_real)((double)x[i] + h * (w * (double)s[i] - (double)g[i])
                         + (xi ? sqrt(2 * h) * (double)xi[i] : 0));
    lang_check(__func__, n, x, scratch.st);
}

void fd_langevin_implicit(const fd_cov *c, const fd_real *mean, const fd_potential *phi, double h,
                          int b, fd_real *x, const fd_real *xi, fd_arena scratch)
{
    if (scratch.st->code || !c || (phi && !phi->value)) return;
    const ptrdiff_t size = fd_size(&c->s), n = b * size;
    fd_real *g = fd_raw(&scratch, fd_real, n);
    if (!g) return;
    chain_pull(c, phi, b, x, g, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++)
        x[i] = (fd_real)(((1 - .5 * h) * (double)x[i] + h * (mean ? (double)mean[i % size] : 0)
                          - h * (double)g[i] + (xi ? sqrt(2 * h) * (double)xi[i] : 0))
                         / (1 + .5 * h));
    lang_check(__func__, n, x, scratch.st);
}

void fd_daps_step(const fd_cov *c, const fd_potential *phi, double sigma, double h, int plain,
                  int b, const fd_real *hat, fd_real *x, const fd_real *xi, fd_arena scratch)
{
    if (scratch.st->code || !c || !phi->value || !hat) return;
    const ptrdiff_t size = fd_size(&c->s), n = b * size;
    fd_real *g = fd_raw(&scratch, fd_real, n);
    if (!g) return;
    for (int i = 0; i < b && plain && !scratch.st->code; i++)
        phi->value(phi->self, &c->s, x + i * size, g + i * size, scratch);
    if (!plain) chain_pull(c, phi, b, x, g, scratch);
    else if (!scratch.st->code) space_riesz(&c->s, 0, b, g);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++)
        x[i] = (fd_real)((double)x[i]
                         - h * ((double)g[i] + ((double)x[i] - (double)hat[i]) / (sigma * sigma))
                         + (xi ? sqrt(2 * h) * (double)xi[i] : 0));
    lang_check(__func__, n, x, scratch.st);
}

void fd_daps_level(const fd_daps *d, double next, fd_rng r, int first, int b, fd_real *x,
                   fd_arena scratch)
{
    fd_status *st = scratch.st;
    const fd_sampler *how = &d->how;
    if (!step_ready(how, __func__, st) || !step_times(how, __func__, st) || !x || !d->phi.value)
        return;
    const fd_process *p = how->p;
    const fd_coef T = p->law(p, how->t[0], 0);
    if (!step_silent(how))
        FD_FAIL(st, FD_EARG, __func__,
                "needs a sampler without noise: a flow, or ddim with eta = 0");
    else if (p->modal)
        FD_FAIL(st, FD_EARG, __func__, "is for processes of one m and v for all modes");
    else if (d->inner < 0 || !(d->h > 0 && isfinite(d->h)))
        FD_FAIL(st, FD_EARG, __func__,
                "h must be positive, and inner not negative; inner", d->inner);
    const ptrdiff_t n = b * fd_size(&p->noise->s);
    fd_run *run = fd_begin(&scratch, how, r, first, b);
    fd_real *hat = fd_raw(&scratch, fd_real, n), *xi = fd_raw(&scratch, fd_real, n);
    double *tb = lin_at(&scratch, b, next);
    if (!tb) return;
    memcpy(run->x, x, (size_t)n * sizeof *x);
    while (fd_step(run, scratch)) { }
    memcpy(hat, run->x, (size_t)n * sizeof *hat);
    for (int i = 0; i < d->inner && !st->code; i++) {
        fd_cov_draw(p->noise, fd_stream(r, 'd', (uint32_t)i), first, b, xi, scratch);
        fd_daps_step(p->noise, &d->phi, sqrt(T.v) / T.m, d->h, d->plain, b, hat, run->x, xi,
                     scratch);
    }
    fd_perturb(p, fd_stream(r, 'd', (uint32_t)d->inner), first, b, run->x, tb, x, NULL, scratch);
}

/* Phi(mean + u), counted, and its gradient where g is not NULL */
static double chain_phi(fd_chain *c, const fd_real *u, fd_real *g, fd_arena scratch)
{
    const fd_space *s = &c->how.prior->s;
    const ptrdiff_t n = fd_size(s);
    fd_real *x = fd_raw(&scratch, fd_real, n);
    if (!x) return NAN;
    for (ptrdiff_t i = 0; i < n; i++) x[i] = c->how.mean ? u[i] + c->how.mean[i] : u[i];
    c->calls++;
    return c->how.phi.value(c->how.phi.self, s, x, g, scratch);
}

/* Does the kind need gradients? */
static int chain_slopes(int kind) { return kind == FD_MCMC_MALA || kind == FD_MCMC_HMC; }

/* a chain in u = 0, where Phi is not yet known */
static fd_chain *chain_new(fd_arena *a, const char *where, const fd_mcmc *how, fd_rng r, int id)
{
    fd_status *st = a->st;
    if (st->code || !how->prior || !how->phi.value) return NULL;
    if (how->kind < FD_MCMC_PCN || how->kind > FD_MCMC_WALK)
        FD_FAIL(st, FD_EARG, where, "no such kind of chain", how->kind);
    double most = how->kind == FD_MCMC_PCN ? 1 : how->kind == FD_MCMC_MALA ? 2 : INFINITY;
    if (how->kind != FD_MCMC_SLICE && !(how->h > 0 && how->h <= most && isfinite(how->h)))
        FD_FAIL(st, FD_EARG, where,
                "the step must be positive; pCN: at most 1, inf-MALA: at most 2");
    if (how->leaps < 0 || how->adapt < 0)
        FD_FAIL(st, FD_EARG, where, "leaps or adapt is negative", how->leaps, how->adapt);
    const ptrdiff_t n = fd_size(&how->prior->s);
    fd_chain *c = fd_new(a, fd_chain, 1);
    fd_real *u = fd_new(a, fd_real, n), *g = chain_slopes(how->kind) ? fd_new(a, fd_real, n) : NULL;
    if (st->code) return NULL;
    *c = (fd_chain){ .how = *how, .r = r, .id = id, .h = how->h, .u = u, .g = g };
    return c;
}

fd_chain *fd_chain_begin(fd_arena *a, const fd_mcmc *how, fd_rng r, int id, const fd_real *x)
{
    fd_status *st = a->st;
    fd_chain *c = chain_new(a, __func__, how, r, id);
    if (!c) return NULL;
    fd_real *u = c->u;
    if (x) for (ptrdiff_t i = 0; i < fd_size(&how->prior->s); i++)
        u[i] = how->mean ? x[i] - how->mean[i] : x[i];
    else fd_cov_draw(how->prior, fd_stream(r, 'b', 0), id, 1, u, *a);
    c->phi = chain_phi(c, u, c->g, *a);
    if (!st->code && !isfinite(c->phi))
        FD_FAIL(st, FD_ENAN, __func__, "Phi is not finite where the chain starts; chain", id);
    return st->code ? NULL : c;
}

fd_chain *fd_chain_resume(fd_arena *a, const fd_mcmc *how, fd_rng r, int id, const fd_real *u,
                          uint32_t k, double h, long long accepted, long long calls)
{
    if (a->st->code || !u || !how->prior) return NULL;
    if (!(h > 0 && isfinite(h)) || accepted < 0 || accepted > k || calls < 0)
        return FD_FAIL(a->st, FD_EARG, __func__, "no state of a chain: steps, accepted, calls", k,
                       accepted, calls), NULL;
    fd_chain *c = chain_new(a, __func__, how, r, id);
    if (!c) return NULL;
    memcpy(c->u, u, (size_t)fd_size(&how->prior->s) * sizeof *u);
    c->phi = chain_phi(c, c->u, c->g, *a);
    if (!a->st->code && !isfinite(c->phi))
        FD_FAIL(a->st, FD_ENAN, __func__, "Phi is not finite where the chain is; chain", id);
    c->k = k, c->h = h, c->accepted = accepted, c->calls = calls;
    return a->st->code ? NULL : c;
}

void fd_chain_get(const fd_chain *c, fd_real *x)
{
    for (ptrdiff_t i = 0; c && i < fd_size(&c->how.prior->s); i++)
        x[i] = c->how.mean ? c->u[i] + c->how.mean[i] : c->u[i];
}

/* r(u, v) of inf-MALA, given Phi(u) and g = grad Phi(u); z: room */
static double chain_mala(const fd_cov *c, double h, double phi, const fd_real *u, const fd_real *v,
                         const fd_real *g, fd_real *z, fd_arena scratch)
{
    const ptrdiff_t n = fd_size(&c->s);
    fd_cov_pow(c, 1, 1, g, z, scratch);
    double gCg = fd_inner(&c->s, g, z), up, across;
    for (ptrdiff_t i = 0; i < n; i++) z[i] = v[i] - u[i];
    across = fd_inner(&c->s, z, g);
    for (ptrdiff_t i = 0; i < n; i++) z[i] = u[i] + v[i];
    up = fd_inner(&c->s, z, g);
    return phi + .5 * across + .25 * h * up + .25 * h * gCg;
}

/* v, at first u, moved by leapfrogs, and g, the gradient there; returns H(v) - H(u) */
static double chain_hmc(fd_chain *c, fd_real *v, fd_real *g, const fd_real *xi, double *phi,
                        fd_arena scratch)
{
    const fd_cov *C = c->how.prior;
    const ptrdiff_t n = fd_size(&C->s);
    const int leaps = c->how.leaps > 0 ? c->how.leaps : 1;
    const double h = c->h, co = cos(h), si = sin(h);
    fd_real *p = fd_raw(&scratch, fd_real, n), *z = fd_raw(&scratch, fd_real, n);
    if (!z) return NAN;
    memcpy(p, xi, (size_t)n * sizeof *p);
    fd_cov_pow(C, 1, 1, g, z, scratch);
    double dH = .125 * h * h * fd_inner(&C->s, g, z) - c->phi;
    for (int k = 0; k < leaps && !scratch.st->code; k++) {
        dH -= .5 * h * fd_inner(&C->s, p, g);
        for (ptrdiff_t i = 0; i < n; i++) {
            double q = (double)p[i] - .5 * h * (double)z[i], x = (double)v[i];
            v[i] = (fd_real)(co * x + si * q), p[i] = (fd_real)(co * q - si * x);
        }
        *phi = chain_phi(c, v, g, scratch);
        fd_cov_pow(C, 1, 1, g, z, scratch);
        for (ptrdiff_t i = 0; i < n; i++) p[i] = (fd_real)((double)p[i] - .5 * h * (double)z[i]);
        dH -= .5 * h * fd_inner(&C->s, p, g);
    }
    return dH + *phi - .125 * h * h * fd_inner(&C->s, g, z);
}

/* v on the ellipse through u and xi, whose arc shrinks until v is above the slice; returns Phi */
static double chain_slice(fd_chain *c, const fd_real *xi, fd_real *v, fd_rng r, fd_arena scratch)
{
    enum { MOST = 200 };
    const ptrdiff_t n = fd_size(&c->how.prior->s);
    fd_real *u = fd_raw(&scratch, fd_real, MOST + 2);
    if (!u) return NAN;
    fd_uniform(r, MOST + 2, u);
    double level = c->phi - log((double)u[0]), phi = NAN;
    double angle = 2 * PI * (double)u[1], lo = angle - 2 * PI, hi = angle;
    for (int k = 0; k < MOST && !scratch.st->code; k++) {
        double co = cos(angle), si = sin(angle);
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = (fd_real)(co * (double)c->u[i] + si * (double)xi[i]);
        phi = chain_phi(c, v, NULL, scratch);
        if (phi < level) return phi;
        if (angle < 0) lo = angle;
        else hi = angle;
        angle = lo + (hi - lo) * (double)u[k + 2];
    }
    return NAN;
}

/* The proposal v from the noise xi: returns the log of its acceptance ratio, and Phi(v) in phi. g,
 * z [ch][points] where the kind needs gradients: that at v, and room. */
static double chain_propose(fd_chain *c, const fd_real *xi, fd_rng own, fd_real *v, fd_real *g,
                            fd_real *z, double *phi, fd_arena scratch)
{
    const fd_cov *C = c->how.prior;
    const ptrdiff_t n = fd_size(&C->s);
    const double h = c->h;
    const int walk = c->how.kind == FD_MCMC_WALK;
    switch (c->how.kind) {
    case FD_MCMC_PCN:
    case FD_MCMC_WALK:
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = (fd_real)((walk ? 1 : sqrt(1 - h * h)) * (double)c->u[i] + h * (double)xi[i]);
        *phi = chain_phi(c, v, NULL, scratch);
        if (!walk) return c->phi - *phi;
        return c->phi - *phi
               + .5 * (fd_cov_norm2(C, c->u, scratch) - fd_cov_norm2(C, v, scratch));
    case FD_MCMC_MALA:
        fd_cov_pow(C, 1, 1, c->g, z, scratch);
        for (ptrdiff_t i = 0; i < n; i++)
            v[i] = (fd_real)(((2 - h) * (double)c->u[i] - 2 * h * (double)z[i]
                              + sqrt(8 * h) * (double)xi[i])
                             / (2 + h));
        *phi = chain_phi(c, v, g, scratch);
        return chain_mala(C, h, c->phi, c->u, v, c->g, z, scratch)
               - chain_mala(C, h, *phi, v, c->u, g, z, scratch);
    case FD_MCMC_HMC:
        memcpy(v, c->u, (size_t)n * sizeof *v);
        memcpy(g, c->g, (size_t)n * sizeof *g);
        return -chain_hmc(c, v, g, xi, phi, scratch);
    default:
        *phi = chain_slice(c, xi, v, fd_stream(own, 'e', 0), scratch);
        return isfinite(*phi) ? 1 : -INFINITY;
    }
}

/* log h moves by the acceptance rate less the target */
static void chain_adapt(fd_chain *c, double phi, double ratio)
{
    const fd_mcmc *how = &c->how;
    double rate = isfinite(phi) && ratio == ratio ? exp(fmin(0, ratio)) : 0;
    double usual = how->kind == FD_MCMC_MALA ? .57 : how->kind == FD_MCMC_HMC ? .65 : .3;
    double target = how->target > 0 ? how->target : usual;
    c->h *= exp((rate - target) / pow(c->k + 1., .6));
    if (how->kind == FD_MCMC_PCN) c->h = fmin(c->h, 1);
    if (how->kind == FD_MCMC_MALA) c->h = fmin(c->h, 2);
}

int fd_chain_step(fd_chain *c, fd_arena scratch)
{
    if (!c || scratch.st->code) return 0;
    const fd_cov *C = c->how.prior;
    const ptrdiff_t n = fd_size(&C->s);
    fd_real *v = fd_raw(&scratch, fd_real, n), *xi = fd_raw(&scratch, fd_real, n);
    fd_real *g = c->g ? fd_raw(&scratch, fd_real, n) : NULL;
    fd_real *z = c->g ? fd_raw(&scratch, fd_real, n) : NULL;
    if (scratch.st->code) return 0;
    fd_rng own = fd_stream(fd_stream(c->r, 'k', c->k), 'a', (uint32_t)c->id);
    fd_real lot;
    fd_uniform(own, 1, &lot);
    fd_cov_draw(C, fd_stream(c->r, 'k', c->k), c->id, 1, xi, scratch);
    double phi = NAN, ratio = chain_propose(c, xi, own, v, g, z, &phi, scratch);
    if (scratch.st->code) return 0;
    c->ratio = c->how.kind == FD_MCMC_SLICE ? 0 : ratio;
    int moved = isfinite(phi) && ratio >= log((double)lot);           /* NaN rejects */
    if (moved) {
        memcpy(c->u, v, (size_t)n * sizeof *v);
        if (g) memcpy(c->g, g, (size_t)n * sizeof *g);
        c->phi = phi;
        c->accepted++;
    }
    if (c->k < (uint32_t)c->how.adapt && c->how.kind != FD_MCMC_SLICE) chain_adapt(c, phi, ratio);
    c->k++;
    return moved;
}

/* --- The posterior of a sampler's noise --- */

typedef struct { fd_sampler how; fd_potential phi; } latent;

static double latent_value(const void *self, const fd_space *s, const fd_real *z, fd_real *g,
                           fd_arena scratch)
{
    const latent *o = self;
    if (!space_fits(scratch.st, "fd_latent_potential", s, &o->how.p->noise->s)) return NAN;
    fd_run *run = fd_begin(&scratch, &o->how, fd_seed(0), 0, 1);
    if (!run) return NAN;
    memcpy(run->x, z, (size_t)fd_size(s) * sizeof *z);
    while (fd_step(run, scratch)) { }
    if (scratch.st->code) return NAN;
    if (g)
        FD_FAIL(scratch.st, FD_EARG, "fd_latent_potential",
                "has no gradient: take pCN or the slice");
    return o->phi.value(o->phi.self, s, run->x, NULL, scratch);
}

fd_potential fd_latent_potential(fd_arena *a, const fd_sampler *how, const fd_potential *phi)
{
    fd_potential none = { NULL, NULL };
    if (!step_ready(how, __func__, a->st) || !phi->value) return none;
    if (!step_silent(how))
        return FD_FAIL(a->st, FD_EARG, __func__,
                       "needs a sampler without noise: a flow, or ddim with eta = 0"), none;
    latent *o = fd_new(a, latent, 1);
    if (!o) return none;
    *o = (latent){ *how, *phi };
    return (fd_potential){ latent_value, o };
}

/* --- Priors of independent increments ---
 *
 * An increment is d | w ~ N(0, w), so that x is Gaussian given all w, with the covariance
 * K_ij = s0^2 + sum_{k < min(i, j)} w_k. For Laplace of scale b, w is exponential of mean 2 b^2,
 * and 1/w | d inverse Gaussian of mean 1/(b |d|) and shape 1/b^2. For Student w is inverse gamma
 * (nu/2, nu b^2/2), and w | d inverse gamma ((nu + 1)/2, (nu b^2 + d^2)/2). For Bernoulli-Laplace w
 * is 0 with probability 1 - chance. Whether it is, is drawn with d integrated out, since from d = 0
 * there is no way back otherwise: with a_i = A of the step behind x_i and S without w_i
 *
 *     p(y | w_i)/p(y | 0) = exp(w_i (a_i^T S^-1 y)^2/(2 (1 + w_i al)))/sqrt(1 + w_i al),
 *     al = a_i^T S^-1 a_i, w_i as it is, or drawn from the prior where it is 0. */

/* v becomes K v */
static void levy_times(const fd_levy *p, int n, const double *w, double *v)
{
    double sum = 0;
    for (int i = n - 1; i > 0; i--) v[i - 1] += v[i];                      /* tail sums */
    for (int i = 0; i < n; i++) {
        sum += i ? w[i - 1] * v[i] : p->s0 * p->s0 * v[0];
        v[i] = sum;
    }
}

/* an inverse Gaussian number of mean mu and shape l, of normal z and uniform u [Michael et al.] */
static double levy_inverse_gauss(double mu, double l, double z, double u)
{
    double y = z * z, q = mu * y / (2 * l), x = mu * (1 + q - sqrt(q * (2 + q)));
    if (!(x > 0)) x = mu / (1 + q + sqrt(q * (2 + q)));
    return u <= mu / (mu + x) ? x : mu * mu / x;
}

/* a gamma number of shape k from a stream [Marsaglia & Tsang] */
static double levy_gamma(double k, fd_rng r)
{
    enum { TRIES = 32 };
    fd_real z[TRIES], u[TRIES + 1];
    double boost = 1, d, c;
    fd_normal(fd_stream(r, 'z', 0), TRIES, z);
    fd_uniform(fd_stream(r, 'u', 0), TRIES + 1, u);
    if (k < 1) boost = pow((double)u[TRIES], 1 / k), k += 1;
    d = k - 1. / 3, c = 1 / sqrt(9 * d);
    for (int i = 0; i < TRIES; i++) {
        double v = 1 + c * (double)z[i];
        if (v <= 0) continue;
        v = v * v * v;
        if (log((double)u[i]) < .5 * (double)z[i] * (double)z[i] + d - d * v + d * log(v))
            return boost * d * v;
    }
    return boost * d;                                /* each try fails with probability below .05 */
}

/* The rows K A^T e_i of KA [m][n]; the lower triangle of S = A K A^T + Gamma [m][m]; and, where
 * step [m][n - 1] is not NULL, the a_i of each increment. */
static void levy_gram(const fd_levy *p, const fd_obs *o, const double *w, double *KA, double *S,
                      double *step, fd_arena scratch)
{
    const int n = (int)o->s.points, m = o->m;
    double *q = fd_new(&scratch, double, m);
    fd_real *e = fd_raw(&scratch, fd_real, n);
    for (int i = 0; i < m && e && !scratch.st->code; i++) {
        double *row = KA + (ptrdiff_t)i * n, sum = 0;
        memset(q, 0, (size_t)m * sizeof *q);
        q[i] = 1;
        o->transpose(o->self, &o->s, 1, NULL, q, e, scratch);
        if (scratch.st->code) return;
        for (int j = n - 1; j > 0 && step; j--)
            step[(ptrdiff_t)i * (n - 1) + j - 1] = sum += (double)e[j];
        for (int j = 0; j < n; j++) row[j] = (double)e[j];
        levy_times(p, n, w, row);
        for (int j = 0; j < n; j++) e[j] = (fd_real)row[j];
        o->apply(o->self, &o->s, 1, e, S + (ptrdiff_t)i * m, scratch);
        for (int j = 0; j <= i; j++) S[(ptrdiff_t)i * m + j] += obs_gamma(o, i, j);
    }
}

/* Draws which increments are 0, one after the other; S is overwritten. */
static void levy_switch(const fd_levy *p, int n, int m, const double *step, const double *y,
                        fd_rng r, double *S, double *w, fd_arena scratch)
{
    double *B = fd_new(&scratch, double, (size_t)m * (size_t)m);
    double *Ba = fd_raw(&scratch, double, m);
    fd_real *u = fd_raw(&scratch, fd_real, 2 * n);
    if (!u || fd_cholesky(scratch.st, m, S)) return;
    fd_uniform(r, 2 * n, u);
    for (int i = 0; i < m; i++) {                          /* B = S^-1 */
        B[(ptrdiff_t)i * m + i] = 1;
        fd_solve_lower(m, S, 0, B + (ptrdiff_t)i * m);
        fd_solve_lower(m, S, 1, B + (ptrdiff_t)i * m);
    }
    for (int i = 0; i + 1 < n; i++) {
        double v = w[i] > 0 ? w[i] : -2 * p->b * p->b * log((double)u[2 * i]), al, be, odds;
        for (int pass = w[i] > 0 ? 0 : 1; pass < 3; pass++) {  /* without it; the odds; with it */
            const double by = pass == 0 ? -v : v;
            if (pass == 2 && !(w[i] > 0)) break;
            al = be = 0;
            for (int j = 0; j < m; j++) {
                Ba[j] = 0;
                for (int k = 0; k < m; k++)
                    Ba[j] += B[(ptrdiff_t)j * m + k] * step[(ptrdiff_t)k * (n - 1) + i];
                al += step[(ptrdiff_t)j * (n - 1) + i] * Ba[j], be += y[j] * Ba[j];
            }
            if (pass == 1) {
                odds = log(p->chance / (1 - p->chance))
                       + .5 * v * be * be / (1 + v * al) - .5 * log1p(v * al);
                w[i] = (double)u[2 * i + 1] * (1 + exp(-odds)) < 1 ? v : 0;
            } else
                for (int j = 0; j < m; j++)
                    for (int k = 0; k < m; k++)
                        B[(ptrdiff_t)j * m + k] -= Ba[j] * Ba[k] * by / (1 + by * al);
        }
    }
}

void fd_levy_sweep(const fd_levy *p, const fd_obs *o, const double *y, fd_rng r, uint32_t sweep,
                   double *w, fd_real *x, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!obs_given(st, __func__, o, y)) return;
    const int n = (int)o->s.points, m = o->m;
    if (o->s.ch != 1 || n < 2 || !(p->s0 > 0) || !(p->b > 0)
        || (p->law == FD_LEVY_STUDENT && !(p->nu > 0)) || p->law < FD_LEVY_LAPLACE
        || (p->law == FD_LEVY_BERNOULLI && !(p->chance > 0 && p->chance < 1))
        || p->law > FD_LEVY_BERNOULLI || !obs_noisy(o))
        FD_FAIL(st, FD_EARG, __func__,
                "needs one channel, positive scales s0, b (and nu, chance), a known law, and "
                "noise; law", p->law);
    fd_rng own = fd_stream(r, 'l', sweep);
    const int zeros = p->law == FD_LEVY_BERNOULLI;
    fd_real *z = fd_raw(&scratch, fd_real, 2 * n), *u = fd_raw(&scratch, fd_real, n);
    double *KA = fd_raw(&scratch, double, (ptrdiff_t)m * n);
    double *S = fd_raw(&scratch, double, (size_t)m * (size_t)m);
    double *step = zeros ? fd_raw(&scratch, double, (ptrdiff_t)m * n) : NULL;
    double *q = fd_new(&scratch, double, m), *res = fd_raw(&scratch, double, m);
    if (!res) return;
    fd_normal(fd_stream(own, 'x', 0), 2 * n, z);
    fd_uniform(fd_stream(own, 'u', 0), n, u);
    levy_gram(p, o, w, KA, S, step, scratch);
    if (zeros && !st->code) {
        levy_switch(p, n, m, step, y, fd_stream(own, 'b', 0), S, w, scratch);
        levy_gram(p, o, w, KA, S, NULL, scratch);
    }
    if (st->code || fd_cholesky(st, m, S)) return;
    double sum = 0;
    for (int i = 0; i < n; i++) {                                    /* Matheron's rule: x | w, y */
        sum += i ? sqrt(w[i - 1]) * (double)z[i] : p->s0 * (double)z[0];
        x[i] = (fd_real)sum;
    }
    obs_noises(o, own, 0, 1, q, scratch);
    obs_residual(o, 1, y, 0, x, res, scratch);
    for (int i = 0; i < m; i++) res[i] -= q[i];
    fd_solve_lower(m, S, 0, res);
    fd_solve_lower(m, S, 1, res);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            x[j] = (fd_real)((double)x[j] + KA[(ptrdiff_t)i * n + j] * res[i]);
    for (int i = 0; i + 1 < n && !st->code; i++) {                         /* w | d */
        double d = (double)x[i + 1] - (double)x[i];
        if (!(w[i] > 0)) continue;
        if (p->law == FD_LEVY_STUDENT) {
            w[i] = .5 * (p->nu * p->b * p->b + d * d)
                   / levy_gamma(.5 * (p->nu + 1), fd_stream(own, 'g', (uint32_t)i));
        } else {
            double l = 1 / (p->b * p->b), mean = 1 / (p->b * fmax(fabs(d), 1e-150));
            w[i] = 1 / fmax(levy_inverse_gauss(mean, l, (double)z[n + i], (double)u[i]), 1e-300);
        }
    }
}

/* --- Diagnostics --- */

/* the covariance at a lag of a series of n numbers */
static double series_cov(int n, const double *x, double mean, int lag)
{
    double sum = 0;
    for (int i = 0; i + lag < n; i++) sum += (x[i] - mean) * (x[i + lag] - mean);
    return sum / n;
}

/* series of several chains: their means, the mean variance W within them, the variance of all */
typedef struct { int chains, n; const double *x; double *mean, W, var; } series;

/* the autocorrelation at a lag */
static double series_rho(const series *s, int lag)
{
    double sum = 0;
    for (int c = 0; c < s->chains; c++)
        sum += series_cov(s->n, s->x + (ptrdiff_t)c * s->n, s->mean[c], lag);
    return 1 - (s->W - sum / s->chains * s->n / (s->n - 1.)) / s->var;
}

/* 1 + 2 sum rho, by pairs of rho as long as these are positive, each no larger than the last */
static double series_tau(const series *s)
{
    double tau = -1, last = INFINITY;
    for (int k = 0; 2 * k + 1 < s->n; k++) {
        double pair = (k ? series_rho(s, 2 * k) : 1) + series_rho(s, 2 * k + 1);
        if (!(pair > 0)) break;
        last = fmin(last, pair);
        tau += 2 * last;
    }
    return tau;
}

/* var = (n - 1)/n W + B/n, B/n the variance of the means; 0 where there is nothing to say */
static int series_new(series *s, int chains, int n, const double *x, fd_arena *a)
{
    double mean = 0, B = 0;
    if (a->st->code || !x || chains < 1 || n < 4) return 0;
    *s = (series){ chains, n, x, fd_raw(a, double, chains), 0, 0 };
    if (!s->mean) return 0;
    for (int c = 0; c < chains; c++, x += n) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += x[i];
        s->mean[c] = sum / n;
        s->W += series_cov(n, x, s->mean[c], 0) * n / (n - 1.) / chains;
        mean += s->mean[c] / chains;
    }
    for (int c = 0; c < chains && chains > 1; c++)
        B += (s->mean[c] - mean) * (s->mean[c] - mean) / (chains - 1.);
    s->var = (n - 1.) / n * s->W + B;
    return s->var > 0;
}

double fd_iact(int n, const double *x, fd_arena scratch)
{
    series s;
    if (!series_new(&s, 1, n, x, &scratch)) return NAN;
    s.var = s.W;
    return series_tau(&s);
}

double fd_rhat(int chains, int n, const double *x, fd_arena scratch)
{
    series s;
    int half = n / 2;
    double *y = chains > 0 && n > 0 ? fd_raw(&scratch, double, 2 * (ptrdiff_t)chains * half) : NULL;
    if (!y || !x) return NAN;
    for (int c = 0; c < chains; c++) {                             /* first and last half of each */
        memcpy(y + 2 * (ptrdiff_t)c * half, x + (ptrdiff_t)c * n, (size_t)half * sizeof *y);
        memcpy(y + (2 * (ptrdiff_t)c + 1) * half, x + (ptrdiff_t)c * n + n - half,
               (size_t)half * sizeof *y);
    }
    if (!series_new(&s, 2 * chains, half, y, &scratch)) return NAN;
    return sqrt(s.var / s.W);
}

double fd_ess(int chains, int n, const double *x, fd_arena scratch)
{
    series s;
    if (!series_new(&s, chains, n, x, &scratch)) return NAN;
    return (double)chains * n / series_tau(&s);
}

/* --- The law of an affine step --- */

/* C = A op(B) of d x d matrices */
static void small_mul(ptrdiff_t d, int tb, const double *A, const double *B, double *C)
{
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j < d; j++) {
            double sum = 0;
            for (ptrdiff_t k = 0; k < d; k++) sum += A[i * d + k] * B[tb ? j * d + k : k * d + j];
            C[i * d + j] = sum;
        }
}

double fd_affine_law(fd_affine_step *step, void *self, int n, int q, double *mean, double *cov,
                     fd_arena scratch)
{
    const ptrdiff_t b = 2 + (ptrdiff_t)n + q;          /* 0, unit states, unit noises, one of all */
    double *x = fd_new(&scratch, double, b * n), *z = fd_new(&scratch, double, b * (q > 0 ? q : 1));
    double *F = fd_raw(&scratch, double, (size_t)n * (size_t)n);
    double *G = fd_raw(&scratch, double, (size_t)n * (size_t)n);
    double *next = fd_raw(&scratch, double, n), *last = x + (b - 1) * n, worst = 0, size = 0;
    fd_real *lots = fd_raw(&scratch, fd_real, n + q);
    if (!lots) return NAN;
    fd_normal(fd_seed(2385), n + q, lots);
    for (int j = 0; j < n; j++) x[(1 + j) * (ptrdiff_t)n + j] = 1, last[j] = (double)lots[j];
    for (int j = 0; j < q; j++)
        z[(1 + n + j) * (ptrdiff_t)q + j] = 1, z[(b - 1) * q + j] = (double)lots[n + j];
    step(self, (int)b, x, z, scratch);
    if (scratch.st->code) return NAN;
    for (int i = 0; i < n; i++) {
        double sum = x[i], like;
        for (int j = 0; j < n; j++) F[(ptrdiff_t)i * n + j] = x[(1 + j) * (ptrdiff_t)n + i] - x[i];
        like = x[i];
        for (int j = 0; j < n; j++) sum += F[(ptrdiff_t)i * n + j] * mean[j];
        for (int j = 0; j < n; j++) like += F[(ptrdiff_t)i * n + j] * (double)lots[j];
        for (int j = 0; j < q; j++)
            like += (x[(1 + n + j) * (ptrdiff_t)n + i] - x[i]) * (double)lots[n + j];
        next[i] = sum;
        worst = fmax(worst, fabs(like - last[i])), size = fmax(size, fabs(last[i]));
    }
    small_mul(n, 0, F, cov, G);
    small_mul(n, 1, G, F, cov);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            for (int k = 0; k < q; k++) {
                const double *c = x + (1 + n + k) * (ptrdiff_t)n;
                cov[i * n + j] += (c[i] - x[i]) * (c[j] - x[j]);
            }
            cov[j * n + i] = cov[i * n + j];
        }
    memcpy(mean, next, (size_t)n * sizeof *mean);
    return size > 0 ? worst / size : worst;
}

/* ---- Linear equations, bridges and control --------------------------------------------------- *
 *
 * By g(h) = (1 - e^-2ah)/(2a), sinh(a p) = a e^ap g(p), no formula has a growing exponential:
 *
 *     sinh(a p)/sinh(a R) = e^-a(R-p) g(p)/g(R),
 *     sinh(a p) sinh(a (R-p))/(a sinh(aR)) = g(p) g(R-p)/g(R) */

/* g(h), and a of mode k */
static double ou_g(double a, double h) { return a == 0 ? h : -expm1(-2 * a * h) / (2 * a); }
static double ou_a(const fd_linear *l, ptrdiff_t k) { return l->a ? l->a[k] : 0; }

/* Has l a noise and an end, and does s come before t? */
static int linear_ready(const char *where, const fd_linear *l, double s, double t, fd_status *st)
{
    if (st->code) return 0;
    if (!l->noise) FD_FAIL(st, FD_EARG, where, "there is no noise");
    else if (!(l->T > 0 && isfinite(l->T))) FD_FAIL(st, FD_EARG, where, "T must be positive");
    else if (!(s >= 0 && s < t && t <= l->T))
        FD_FAIL(st, FD_EARG, where, "times must be 0 <= s < t <= T");
    return !st->code;
}

fd_linear fd_linear_heat(fd_arena *a, const fd_cov *noise, double nu, double c, double T)
{
    fd_linear none = { NULL, NULL, 0 };
    if (a->st->code || !noise) return none;
    if (!(T > 0 && isfinite(T))) FD_FAIL(a->st, FD_EARG, __func__, "T must be positive");
    else if (!isfinite(nu) || !isfinite(c))
        FD_FAIL(a->st, FD_EARG, __func__, "nu or c is not finite");
    double *rate = fd_raw(a, double, noise->s.modes);
    if (!rate) return none;
    fd_laplace(&noise->s, rate, *a);
    for (ptrdiff_t k = 0; k < noise->s.modes; k++) rate[k] = nu * rate[k] + c;
    return (fd_linear){ noise, rate, T };
}

fd_linear fd_linear_dbfs(fd_arena *a, const fd_space *s, double energy, double T)
{
    fd_linear none = { NULL, NULL, 0 };
    if (a->st->code) return none;
    if (!(T > 0 && isfinite(T))) FD_FAIL(a->st, FD_EARG, __func__, "T must be positive");
    else if (!(energy > 0 && isfinite(energy)))
        FD_FAIL(a->st, FD_EARG, __func__, "the energy must be positive");
    if (s->nd < 1) FD_FAIL(a->st, FD_EARG, __func__, "is for grids");
    for (int i = 0; i < s->nd; i++)
        if (s->bc[i] != FD_NEUMANN)
            FD_FAIL(a->st, FD_EARG, __func__, "is for grids with Neumann boundaries; axis", i);
    double *rate = fd_raw(a, double, s->modes), *lam = fd_raw(a, double, s->modes);
    if (!lam) return none;
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        int j[3];
        fd_mode(s, k, j);
        rate[k] = 1;
        for (int i = 0; i < s->nd; i++) rate[k] += pow(PI * j[i] / s->n[i], 2);
        lam[k] = s->h * pow(rate[k], -.02) / (energy * energy);      /* of a pixel: 1/h of L2 */
    }
    fd_cov *noise = fd_cov_table(a, s, lam);
    return noise ? (fd_linear){ noise, rate, T } : none;
}

void fd_linear_law(const fd_linear *l, double s, double t, double *decay, double *var,
                   fd_arena scratch)
{
    if (!linear_ready(__func__, l, s, t, scratch.st)) return;
    for (ptrdiff_t k = 0; k < l->noise->s.modes; k++) {
        double a = ou_a(l, k);
        if (decay) decay[k] = exp(-a * (t - s));
        if (var) var[k] = l->noise->lam[k] * ou_g(a, t - s);
    }
}

/* y = sum_j c_j in_j of b functions, with c [nin][modes] of function i from c + per i on. An input
 * that is NULL counts as 0, but for the first one. All are read before y is written. */
static void linear_mix(const fd_space *s, int b, int nin, const double *c, ptrdiff_t per,
                       const fd_real *const in[3], fd_real *y, fd_arena scratch)
{
    const ptrdiff_t all = s->ch * s->modes;
    fd_real *u[3] = { NULL };
    for (int j = 0; j < nin; j++)
        if (in[j]) {
            u[j] = fd_raw(&scratch, fd_real, b * all);
            if (u[j]) fd_to_modes(s, b, in[j], u[j], scratch);
        }
    if (scratch.st->code) return;
    FD_PARALLEL_IF(b * all > LIN_SERIAL)
    for (int i = 0; i < b; i++)
        for (ptrdiff_t l = 0; l < all; l++) {
            const double *f = c + i * per + l % s->modes;
            double sum = 0;
            for (int j = 0; j < nin; j++)
                if (u[j]) sum += f[j * s->modes] * (double)u[j][i * all + l];
            u[0][i * all + l] = (fd_real)sum;
        }
    fd_from_modes(s, b, u[0], y, scratch);
}

/* x at t of x at s, by exponential Euler where nx is not NULL */
static void linear_move(const char *where, const fd_linear *l, double s, double t, int b,
                        fd_real *x, const fd_real *nx, const fd_real *xi, fd_arena scratch)
{
    if (!linear_ready(where, l, s, t, scratch.st) || !x) return;
    const ptrdiff_t modes = l->noise->s.modes;
    const double h = t - s;
    double *c = fd_raw(&scratch, double, 3 * modes);
    for (ptrdiff_t k = 0; c && k < modes; k++) {
        const double a = ou_a(l, k);
        c[k] = exp(-a * h);
        c[modes + k] = a == 0 ? h : -expm1(-a * h) / a;               /* [Thesis eqs. 2.43, 2.44] */
        c[2 * modes + k] = sqrt(ou_g(a, h));
    }
    if (c) linear_mix(&l->noise->s, b, 3, c, 0, INPUTS(x, nx, xi), x, scratch);
}

void fd_linear_step(const fd_linear *l, double s, double t, int b, fd_real *x, const fd_real *xi,
                    fd_arena scratch)
{
    linear_move(__func__, l, s, t, b, x, NULL, xi, scratch);
}

void fd_semilinear_step(const fd_linear *l, double s, double t, int b, fd_real *x,
                        const fd_real *nx, const fd_real *xi, fd_arena scratch)
{
    linear_move(__func__, l, s, t, b, x, nx, xi, scratch);
}

/* c [3][modes]: x at t is c0 x + c1 end + c2 xi of the x at s */
static void bridge_coef(const fd_linear *l, double s, double t, double *c)
{
    const ptrdiff_t modes = l->noise->s.modes;
    for (ptrdiff_t k = 0; k < modes; k++) {
        const int noisy = l->noise->lam[k] > 0;
        const double a = noisy ? fabs(ou_a(l, k)) : ou_a(l, k);       /* a bridge is even in a */
        const double to = ou_g(a, t - s), left = ou_g(a, l->T - t), R = ou_g(a, l->T - s);
        c[k] = exp(-a * (t - s)) * (noisy ? left / R : 1);
        c[modes + k] = noisy ? exp(-a * (l->T - t)) * to / R : 0;
        c[2 * modes + k] = noisy ? sqrt(to * left / R) : 0;
    }
}

/* x at t [times], one time for all functions or one for each, of x0 at s */
static void bridge_move(const char *where, const fd_linear *l, double s, int times,
                        const double *t, int b, const fd_real *x0, const fd_real *end,
                        const fd_real *xi, fd_real *x, fd_arena scratch)
{
    for (int i = 0; i < times; i++)
        if (!linear_ready(where, l, s, t[i], scratch.st)) return;
    const ptrdiff_t per = 3 * l->noise->s.modes;
    double *c = fd_raw(&scratch, double, times * per);
    for (int i = 0; i < times && c; i++) bridge_coef(l, s, t[i], c + i * per);
    if (c) linear_mix(&l->noise->s, b, 3, c, times > 1 ? per : 0, INPUTS(x0, end, xi), x, scratch);
}

void fd_bridge_step(const fd_linear *l, double s, double t, int b, fd_real *x, const fd_real *end,
                    const fd_real *xi, fd_arena scratch)
{
    if (x && end) bridge_move(__func__, l, s, 1, &t, b, x, end, xi, x, scratch);
}

void fd_bridge_draw(const fd_linear *l, int b, const double *t, const fd_real *x0,
                    const fd_real *end, const fd_real *xi, fd_real *x, fd_arena scratch)
{
    if (t && x0 && end && x) bridge_move(__func__, l, 0, b, t, b, x0, end, xi, x, scratch);
}

void fd_bridge_path(const fd_linear *l, int steps, fd_rng r, int first, int b, const fd_real *x0,
                    const fd_real *end, fd_real *path, fd_arena scratch)
{
    if (!linear_ready(__func__, l, 0, l->T, scratch.st) || !x0 || !end || !path) return;
    if (steps < 1) FD_FAIL(scratch.st, FD_EARG, __func__, "needs a step; steps", steps);
    const fd_space *s = &l->noise->s;
    const ptrdiff_t modes = s->modes, n = s->ch * modes, size = fd_size(s), frames = steps + 1;
    fd_real *u = fd_raw(&scratch, fd_real, b * n), *e = fd_raw(&scratch, fd_real, b * n);
    fd_real *z = fd_raw(&scratch, fd_real, b * n), *y = fd_raw(&scratch, fd_real, b * size);
    double *c = fd_raw(&scratch, double, 3 * modes);
    fd_real *f = fd_raw(&scratch, fd_real, 3 * modes);
    if (!f) return;
    fd_to_modes(s, b, x0, u, scratch), fd_to_modes(s, b, end, e, scratch);
    for (int k = 0; k <= steps && !scratch.st->code; k++) {
        const double from = l->T * (k - 1) / steps, to = k < steps ? l->T * k / steps : l->T;
        if (k) {
            bridge_coef(l, from, to, c);
            for (ptrdiff_t i = 0; i < 3 * modes; i++) f[i] = (fd_real)c[i];
            fd_cov_draw_modes(l->noise, fd_stream(r, 'w', (uint32_t)k), first, b, z);
            FD_PARALLEL_IF(b * n > LIN_BLOCK)
            for (ptrdiff_t i = 0; i < b * s->ch; i++) {
                fd_real *ui = u + i * modes;
                const fd_real *ei = e + i * modes, *zi = z + i * modes;
                for (ptrdiff_t j = 0; j < modes; j++)
                    ui[j] = f[j] * ui[j] + f[modes + j] * ei[j] + f[2 * modes + j] * zi[j];
            }
        }
        fd_from_modes(s, b, u, y, scratch);
        const fd_real *at = k == 0 ? x0 : y;               /* the start as it was given */
        for (int i = 0; i < b && !scratch.st->code; i++)
            memcpy(path + (i * frames + k) * size, at + i * size, (size_t)size * sizeof *path);
    }
}

void fd_bridge_drift(const fd_linear *l, double t, int b, const fd_real *x, const fd_real *end,
                     fd_real *y, fd_arena scratch)
{
    if (!linear_ready(__func__, l, t, l->T, scratch.st) || !x || !end || !y) return;
    const ptrdiff_t modes = l->noise->s.modes;
    double *c = fd_raw(&scratch, double, 2 * modes);
    for (ptrdiff_t k = 0; c && k < modes; k++) {
        const int noisy = l->noise->lam[k] > 0;
        const double a = noisy ? fabs(ou_a(l, k)) : ou_a(l, k);       /* even in a, too */
        const double E = exp(-a * (l->T - t)), pull = E / ou_g(a, l->T - t);
        c[k] = -a - (noisy ? pull * E : 0);
        c[modes + k] = noisy ? pull : 0;
    }
    if (c) linear_mix(&l->noise->s, b, 2, c, 0, INPUTS(x, end, NULL), y, scratch);
}

double fd_bridge_cost(const fd_linear *l, const fd_real *x0, const fd_real *end, double *upper,
                      fd_arena scratch)
{
    if (!linear_ready(__func__, l, 0, l->T, scratch.st) || !x0 || !end) return NAN;
    const fd_space *s = &l->noise->s;
    const ptrdiff_t modes = s->modes, all = s->ch * modes;
    const double eps = REAL_EPS;
    fd_real *u = fd_raw(&scratch, fd_real, all), *v = fd_raw(&scratch, fd_real, all);
    double *mu = fd_raw(&scratch, double, modes), most = 0, size = 0, sum[2] = { 0, 0 };
    if (!mu) return NAN;
    fd_laplace(s, mu, scratch);
    fd_to_modes(s, 1, x0, u, scratch);
    fd_to_modes(s, 1, end, v, scratch);
    for (ptrdiff_t k = 0; k < all; k++) {
        if (l->noise->lam[k % modes] > 0) most = fmax(most, mu[k % modes]);
        size += (double)u[k] * (double)u[k] + (double)v[k] * (double)v[k];
    }
    for (ptrdiff_t k = 0; k < all && !scratch.st->code; k++) {
        const double a = ou_a(l, k % modes), q = l->noise->lam[k % modes];
        const double d = (double)v[k] - exp(-a * l->T) * (double)u[k];
        /* for a < 0 the difference is taken at the start: e^aT d */
        const double back = exp(-fabs(a) * l->T) * (double)v[k] - (double)u[k];
        if (q > 0)
            sum[mu[k % modes] > most / 4] +=
                (a < 0 ? back * back : d * d) / (q * ou_g(fabs(a), l->T));
        else if (d * d > 1e3 * eps * eps * size)
            FD_FAIL(scratch.st, FD_EDATA, __func__, "the end differs in a mode that has no noise",
                    k);
    }
    if (upper) *upper = scratch.st->code ? NAN : sum[1];
    return scratch.st->code ? NAN : sum[0] + sum[1];
}

void fd_bridge_end(const fd_linear *l, double t, const fd_obs *o, const double *y, const fd_rng *r,
                   int first, int b, const fd_real *x, fd_real *end, fd_arena scratch)
{
    if (!linear_ready(__func__, l, t, l->T, scratch.st) || !obs_given(scratch.st, __func__, o, y)
        || !x || !end)
        return;
    const fd_space *s = &l->noise->s;
    const ptrdiff_t n = b * fd_size(s);
    double *decay = fd_raw(&scratch, double, 2 * s->modes);
    double *eta = r ? fd_raw(&scratch, double, (ptrdiff_t)b * o->m) : NULL;
    fd_real *xi = r ? fd_raw(&scratch, fd_real, n) : NULL;
    if (scratch.st->code) return;
    fd_cov V = { .s = *s, .lam = decay + s->modes };
    fd_linear_law(l, t, l->T, decay, decay + s->modes, scratch);
    fd_gain *g = fd_gain_new(&scratch, o, &V, NULL);
    if (!g) return;
    linear_mix(s, b, 1, decay, 0, INPUTS(x, NULL, NULL), end, scratch);
    if (r) {
        fd_cov_draw(&V, *r, first, b, xi, scratch);
        for (ptrdiff_t i = 0; i < n; i++) end[i] += xi[i];
        obs_noises(o, *r, first, b, eta, scratch);
    }
    gain_condition(g, 1, b, y, 0, eta, end, scratch);
}

/* One component in one mode: variance c, mean `at`, with v and V_T of fd_bridge_end_mix and what
 * the process expects of the end from x, Ex, and from x0, ET0. Its law given both is N(go, 1/P),
 * with P infinite where it has no variance; returns the mode's part of the log weight, which goes
 * on to c = 0: with up = 1/v - 1/V_T and B = Ex/v - ET0/V_T
 *     cP = 1 + c up,   go = (at + c B)/cP,   (2 at B + c B^2 - up at^2)/(2 cP) - log(cP)/2. */
static double end_mode(double c, double at, double v, double VT, double Ex, double ET0, double *go,
                       double *P)
{
    *P = INFINITY, *go = v > 0 ? at : Ex;
    if (!(v > 0)) return 0;
    const double up = 1 / v - 1 / VT, B = Ex / v - ET0 / VT, cP = 1 + c * up;
    if (c > 0) *P = cP / c;
    *go = (at + c * B) / cP;
    return .5 * (2 * at * B + c * B * B - up * at * at) / cP - .5 * log(cP);
}

void fd_bridge_end_mix(const fd_linear *l, double t, const fd_real *x0, const fd_mix *law,
                       const fd_rng *r, int first, int b, const fd_real *x, fd_real *end,
                       fd_arena scratch)
{
    if (!linear_ready(__func__, l, t, l->T, scratch.st) || !x0 || !x || !end) return;
    const fd_space *s = &l->noise->s;
    const ptrdiff_t modes = s->modes, all = s->ch * modes, n = fd_size(s);
    const mix m = mix_new(&scratch, __func__, s, law);
    double *logp = fd_raw(&scratch, double, law->n), *E = fd_raw(&scratch, double, 4 * modes);
    fd_real *u = fd_raw(&scratch, fd_real, all), *start = fd_raw(&scratch, fd_real, all);
    fd_real *z = fd_raw(&scratch, fd_real, 2 * n);
    double *mean = fd_raw(&scratch, double, all);
    if (scratch.st->code) return;
    double *v = E + modes, *ET = E + 2 * modes, *VT = E + 3 * modes;
    fd_linear_law(l, t, l->T, E, v, scratch);
    fd_linear_law(l, 0, l->T, ET, VT, scratch);
    fd_to_modes(s, 1, x0, start, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        int pick = -1;
        fd_to_modes(s, 1, x + i * n, u, scratch);
        for (int pass = 0; pass < 2; pass++) {             /* weights, then the mean or the draw */
            if (pass) {
                memset(mean, 0, (size_t)all * sizeof *mean);
                softmax(m.n, logp);
                if (r) {
                    fd_rng own = fd_stream(fd_stream(*r, 'm', 0), 'i', (uint32_t)(first + i));
                    double at = (double)fd_index(own, 0, 1 << 24) / (1 << 24);
                    for (pick = 0; pick + 1 < m.n && at >= logp[pick]; pick++) at -= logp[pick];
                    fd_normal(own, all, z);
                }
            }
            for (int j = 0; j < m.n; j++) {
                double p = m.logw[j], w = pick >= 0 ? 1 : pass ? logp[j] : 0;
                if (pass && pick >= 0 && j != pick) continue;
                for (ptrdiff_t k = 0; k < all; k++) {
                    const ptrdiff_t e = k % modes;
                    double P, go;
                    p += end_mode(m.c[j] ? m.c[j][e] : 0, (double)m.M[j * all + k], v[e], VT[e],
                                  E[e] * (double)u[k], ET[e] * (double)start[k], &go, &P);
                    if (!pass) continue;
                    mean[k] += w * go;
                    if (pick >= 0 && P < INFINITY) mean[k] += (double)z[k] / sqrt(P);
                }
                if (!pass) logp[j] = p;
            }
        }
        for (ptrdiff_t k = 0; k < all; k++) u[k] = (fd_real)mean[k];
        fd_from_modes(s, 1, u, end + i * n, scratch);
    }
}

double fd_control_value(const fd_linear *l, int steps, const fd_obs *o, const double *y,
                        const fd_real *x0, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!x0 || !linear_ready(__func__, l, 0, l->T, st) || !obs_given(st, __func__, o, y))
        return NAN;
    if (!obs_noisy(o)) FD_FAIL(st, FD_EARG, __func__, "needs noise: it is the cost at the end");
    if (steps < 0) FD_FAIL(st, FD_EARG, __func__, "steps is negative", steps);
    const fd_space *s = &l->noise->s;
    double *decay = fd_raw(&scratch, double, 2 * s->modes), *V = decay + s->modes;
    double *res = fd_raw(&scratch, double, 2 * (ptrdiff_t)o->m), *z = res + o->m, sum = 0;
    fd_real *x = fd_raw(&scratch, fd_real, fd_size(s));
    if (st->code) return NAN;
    fd_linear_law(l, 0, l->T, decay, V, scratch);
    /* Euler's chain: decay (1 - ah)^steps, V = q h sum_j (1 - ah)^2j */
    for (ptrdiff_t k = 0; k < s->modes && steps; k++) {
        double h = l->T / steps, f = 1 - ou_a(l, k) * h, total = 0;
        decay[k] = 1;
        for (int j = 0; j < steps; j++) total = f * f * total + 1, decay[k] *= f;
        V[k] = l->noise->lam[k] * h * total;
    }
    fd_cov end = { .s = *s, .lam = V };
    fd_gain *g = fd_gain_new(&scratch, o, &end, NULL);
    if (!g) return NAN;
    linear_mix(s, 1, 1, decay, 0, INPUTS(x0, NULL, NULL), x, scratch);
    obs_residual(o, 1, y, 0, x, res, scratch);
    fd_gain_solve(g, 1, 1, 1, res, z, scratch);
    for (int i = 0; i < o->m; i++) sum += .5 * res[i] * z[i];
    sum += .5 * fd_gain_logdet(g, 1, 1, scratch) - .5 * fd_gain_logdet(g, 0, 1, scratch);
    return st->code ? NAN : sum;
}

void fd_schroedinger_cov(const fd_linear *l, const double *s0, const double *s1, double *cov,
                         fd_arena scratch)
{
    if (!linear_ready(__func__, l, 0, l->T, scratch.st)) return;
    for (ptrdiff_t k = 0; k < l->noise->s.modes; k++) {
        const double a = fabs(ou_a(l, k)), E = exp(-a * l->T);        /* it is even in a */
        const double V = l->noise->lam[k] * ou_g(a, l->T);
        const double p = 2 * E * s0[k] * s1[k];
        cov[k] = p > 0 ? p * p / (2 * E * (sqrt(p * p + V * V) + V)) : 0;
    }
}

/* inner [b] = <d, y>_C and norm [b] = |d|_C^2 of b functions */
static void cameron(const fd_cov *c, int b, const fd_real *d, const fd_real *y, double *inner,
                    double *norm, fd_arena scratch)
{
    const ptrdiff_t n = fd_size(&c->s);
    fd_real *u = fd_raw(&scratch, fd_real, b * n);
    if (!u) return;
    fd_cov_pow(c, -1, b, d, u, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        inner[i] = fd_inner(&c->s, u + i * n, y + i * n);
        norm[i] = fd_inner(&c->s, u + i * n, d + i * n);
    }
}

void fd_girsanov(const fd_cov *q, double h, int b, const fd_real *d, const fd_real *dW,
                 double *logz, fd_arena scratch)
{
    double *inner = fd_raw(&scratch, double, b), *norm = fd_raw(&scratch, double, b);
    if (!norm || !q || !d || !dW || !logz) return;
    cameron(q, b, d, dW, inner, norm, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) logz[i] += inner[i] - .5 * h * norm[i];
}

/* --- Systems --- */

/* Has e all that it needs? */
static int system_ready(const char *where, const fd_system *e, fd_status *st)
{
    if (!st->code && (e->d < 1 || e->w < 1 || !e->f || !e->g))
        FD_FAIL(st, FD_EARG, where, "a system needs d, w, f and g", e->d, e->w);
    return !st->code;
}

/* x += w (f h + g dW), f and g as they are in F and G */
static void system_add(const fd_system *e, double w, double h, const double *F, const double *G,
                       const double *dW, double *x)
{
    for (int i = 0; i < e->d; i++) {
        double sum = F[i] * h;
        for (int j = 0; j < e->w; j++) sum += G[i * e->w + j] * dW[j];
        x[i] += w * sum;
    }
}

void fd_system_step(const fd_system *e, int scheme, double t, double h, int b, double *x,
                    const double *dW, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!system_ready(__func__, e, st)) return;
    if ((scheme != FD_SDE_EULER && scheme != FD_SDE_HEUN) || !(h > 0))
        FD_FAIL(st, FD_EARG, __func__, "no such scheme for a system, or h <= 0", scheme);
    const int d = e->d, w = e->w;
    double *F = fd_raw(&scratch, double, 2 * (ptrdiff_t)d), *G = fd_raw(&scratch, double,
        2 * (ptrdiff_t)d * w);
    double *to = fd_raw(&scratch, double, d);
    for (int i = 0; to && i < b && !st->code; i++) {
        double *u = x + (ptrdiff_t)i * d;
        const double *z = dW + (ptrdiff_t)i * w;
        e->f(e->self, u, t, F);
        e->g(e->self, u, t, G);
        memcpy(to, u, (size_t)d * sizeof *to);
        system_add(e, 1, h, F, G, z, to);
        if (scheme == FD_SDE_HEUN) {
            e->f(e->self, to, t + h, F + d);
            e->g(e->self, to, t + h, G + (ptrdiff_t)d * w);
            memcpy(to, u, (size_t)d * sizeof *to);
            system_add(e, .5, h, F, G, z, to);
            system_add(e, .5, h, F + d, G + (ptrdiff_t)d * w, z, to);
        }
        for (int k = 0; k < d; k++)
            if (!isfinite(to[k])) FD_FAIL(st, FD_ENAN, __func__,
                                          "the state is not finite; system, number", i, k);
        if (!st->code) memcpy(u, to, (size_t)d * sizeof *to);
    }
}

/* S [d][d] = g g^T; G [d][w]: room */
static void system_sigma(const fd_system *e, double t, const double *x, double *G, double *S)
{
    e->g(e->self, x, t, G);
    for (int i = 0; i < e->d; i++)
        for (int j = 0; j < e->d; j++) {
            double sum = 0;
            for (int k = 0; k < e->w; k++) sum += G[i * e->w + k] * G[j * e->w + k];
            S[i * e->d + j] = sum;
        }
}

void fd_system_div(const fd_system *e, double t, const double *x, double *y, fd_arena scratch)
{
    if (!system_ready(__func__, e, scratch.st)) return;
    if (e->div) { e->div(e->self, x, t, y); return; }
    const int d = e->d;
    double *G = fd_raw(&scratch, double, (ptrdiff_t)d * e->w), *S = fd_raw(&scratch, double,
        (ptrdiff_t)d * d);
    double *u = fd_raw(&scratch, double, d);
    if (!u) return;
    memset(y, 0, (size_t)d * sizeof *y);
    for (int j = 0; j < d; j++)
        for (int k = 0; k < 4; k++) {
            const double h = 1e-3 * fmax(1, fabs(x[j]));
            memcpy(u, x, (size_t)d * sizeof *u);
            u[j] += diff_at[k] * h;
            system_sigma(e, t, u, G, S);
            for (int i = 0; i < d; i++) y[i] += diff_c[k] * S[i * d + j] / (12 * h);
        }
}

void fd_system_target(const fd_system *e, int kind, double t, double h, int b, const double *x,
                      const double *next, double *y, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!system_ready(__func__, e, st)) return;
    if (kind < FD_REVERSAL_SCORE || kind > FD_REVERSAL_DRIFT || !(h > 0))
        FD_FAIL(st, FD_EARG, __func__, "no such kind, or h <= 0", kind);
    const int d = e->d;
    double *F = fd_raw(&scratch, double, d), *G = fd_raw(&scratch, double, (ptrdiff_t)d * e->w);
    double *S = fd_raw(&scratch, double, (ptrdiff_t)d * d);
    for (int i = 0; S && i < b; i++) {
        const double *u = x + (ptrdiff_t)i * d, *v = next + (ptrdiff_t)i * d;
        if (kind == FD_REVERSAL_DRIFT) memset(F, 0, (size_t)d * sizeof *F);
        else e->f(e->self, u, t, F);
        for (int k = 0; k < d; k++) F[k] = -(v[k] - u[k] - F[k] * h) / h;
        if (kind == FD_REVERSAL_SCORE) {
            system_sigma(e, t, u, G, S);
            if (fd_cholesky(st, d, S)) return;
            fd_solve_lower(d, S, 0, F);
            fd_solve_lower(d, S, 1, F);
        }
        memcpy(y + (ptrdiff_t)i * d, F, (size_t)d * sizeof *y);
    }
}

void fd_system_reverse(const fd_system *e, int kind, double t, const double *x, const double *says,
                       double *y, fd_arena scratch)
{
    if (!system_ready(__func__, e, scratch.st)) return;
    if (kind < FD_REVERSAL_SCORE || kind > FD_REVERSAL_DRIFT)
        FD_FAIL(scratch.st, FD_EARG, __func__, "no such kind", kind);
    const int d = e->d;
    double *F = fd_raw(&scratch, double, 2 * (ptrdiff_t)d), *div = F + d;
    double *G = fd_raw(&scratch, double, (ptrdiff_t)d * e->w), *S = fd_raw(&scratch, double,
        (ptrdiff_t)d * d);
    if (scratch.st->code) return;
    e->f(e->self, x, t, F);
    for (int i = 0; i < d; i++)
        F[i] = says[i] * (kind != FD_REVERSAL_SCORE) - F[i] * (kind != FD_REVERSAL_DRIFT);
    if (kind == FD_REVERSAL_SCORE) {
        system_sigma(e, t, x, G, S);
        fd_system_div(e, t, x, div, scratch);
        for (int i = 0; i < d; i++) {
            F[i] += div[i];
            for (int j = 0; j < d; j++) F[i] += S[i * d + j] * says[j];
        }
    }
    if (!scratch.st->code) memcpy(y, F, (size_t)d * sizeof *y);
}

void fd_system_weight(const fd_system *e, double t, double h, double rate, int b, const double *x,
                      const double *dW, double *J, double *y, fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!system_ready(__func__, e, st)) return;
    if (!(h > 0) || !isfinite(rate))
        FD_FAIL(st, FD_EARG, __func__, "h <= 0, or rate is not finite");
    const int d = e->d, w = e->w;
    const ptrdiff_t dd = (ptrdiff_t)d * d;
    double *F = fd_raw(&scratch, double, d), *G = fd_raw(&scratch, double, (ptrdiff_t)d * w);
    double *u = fd_raw(&scratch, double, d), *A = fd_raw(&scratch, double, 3 * dd);
    for (int i = 0; A && i < b; i++) {
        const double *X = x + (ptrdiff_t)i * d, *z = dW + (ptrdiff_t)i * w;
        double *N = A + dd, *K = A + 2 * dd, *Ji = J + i * dd;
        memset(A, 0, 2 * (size_t)dd * sizeof *A);
        for (int j = 0; j < d; j++)                    /* A = Df h, N = sum_l Dg_l dW_l */
            for (int k = 0; k < 4; k++) {
                const double step = 1e-3 * fmax(1, fabs(X[j]));
                memcpy(u, X, (size_t)d * sizeof *u);
                u[j] += diff_at[k] * step;
                e->f(e->self, u, t, F);
                e->g(e->self, u, t, G);
                for (int q = 0; q < d; q++) {
                    A[q * d + j] += diff_c[k] * h * F[q] / (12 * step);
                    for (int l = 0; l < w; l++)
                        N[q * d + j] += diff_c[k] * G[q * w + l] * z[l] / (12 * step);
                }
            }
        system_sigma(e, t, X, G, K);                   /* u = Sigma^-1 g dW */
        for (int q = 0; q < d; q++) {
            u[q] = 0;
            for (int l = 0; l < w; l++) u[q] += G[q * w + l] * z[l];
        }
        if (fd_cholesky(st, d, K)) return;
        fd_solve_lower(d, K, 0, u);
        fd_solve_lower(d, K, 1, u);
        for (int q = 0; q < d; q++)
            for (int k = 0; k < d; k++) {
                double sum = Ji[q * d + k], more = 0;
                for (int l = 0; l < d; l++) {
                    sum += A[q * d + l] * Ji[l * d + k];
                    more += N[q * d + l] * Ji[l * d + k];
                }
                y[i * d + k] += rate * sum * u[q];
                K[q * d + k] = sum + more;
            }
        memcpy(Ji, K, (size_t)dd * sizeof *K);
    }
}

/* --- Guided proposals --- */

/* E = e^Bh, m = int_0^h e^Bs beta ds, C = int_0^h e^Bs S e^B's ds, by series for h/2^n, doubled n
 * times. room [4][d][d]. */
static void proposal_linear(int d, double h, const double *B, const double *beta, const double *S,
                            double *E, double *m, double *C, double *room)
{
    const int dd = d * d;
    double *P = room, *L = room + dd, *Q = room + 2 * dd, *R = room + 3 * dd, size = 0, step = h;
    int n = 0;
    for (int i = 0; B && i < dd; i++) size = fmax(size, fabs(B[i]) * d);
    while (size * step > 1. / 16 && n < 60) step /= 2, n++;
    for (int i = 0; i < dd; i++) {
        P[i] = E[i] = i % (d + 1) == 0;                /* P = (B step)^k/k! */
        L[i] = step * S[i], C[i] = L[i];               /* step^(k+1)/(k+1)! of S by X -> BX + XB' */
    }
    for (int i = 0; i < d; i++) m[i] = beta ? step * beta[i] : 0;
    for (int k = 1; B && k <= 12; k++) {
        small_mul(d, 0, B, P, Q);
        for (int i = 0; i < dd; i++) P[i] = Q[i] * step / k, E[i] += P[i];
        for (int i = 0; beta && i < d; i++)
            for (int j = 0; j < d; j++) m[i] += P[i * d + j] * beta[j] * step / (k + 1);
        small_mul(d, 0, B, L, Q);
        small_mul(d, 1, L, B, R);
        for (int i = 0; i < dd; i++) L[i] = (Q[i] + R[i]) * step / (k + 1), C[i] += L[i];
    }
    for (; n > 0; n--) {                               /* m = E m + m, C = E C E' + C, E = E E */
        small_mul(d, 0, E, C, Q);
        small_mul(d, 1, Q, E, R);
        for (int i = 0; i < d; i++) {
            P[i] = m[i];
            for (int j = 0; j < d; j++) P[i] += E[i * d + j] * m[j];
        }
        memcpy(m, P, (size_t)d * sizeof *m);
        small_mul(d, 0, E, E, Q);
        for (int i = 0; i < dd; i++) C[i] += R[i], E[i] = Q[i];
    }
}

/* h(x) = exp(c + v'x - x'Hx/2) is kept as c, v, H. Here it is multiplied by N(y; x, gamma). */
static void proposal_see(int d, const double *y, const double *gamma, double *c, double *v,
                         double *H, double *room, fd_status *st)
{
    double *L = room, *e = room + (ptrdiff_t)d * d;
    memcpy(L, gamma, (size_t)(d * d) * sizeof *L);
    if (fd_cholesky(st, d, L)) return;
    *c -= .5 * d * log(2 * FD_PI);
    for (int j = 0; j <= d; j++) {                     /* gamma^-1 of each axis, and of y */
        for (int i = 0; i < d; i++) e[i] = j < d ? i == j : y[i];
        fd_solve_lower(d, L, 0, e);
        for (int i = 0; i < d && j == d; i++) *c -= .5 * e[i] * e[i] + log(L[i * d + i]);
        fd_solve_lower(d, L, 1, e);
        for (int i = 0; i < d; i++) *(j < d ? &H[i * d + j] : &v[i]) += e[i];
    }
}

/* h(x) becomes E h(x + N(0, C)): with C = LL', KK' = 1 + L'HL, A = K^-1 L', P = AH, u = Av it has
 *     c + u'u/2 - log det K,    v - P'u,    H - P'P */
static void proposal_blur(int d, const double *C, double *c, double *v, double *H, double *room,
                          fd_status *st)
{
    const ptrdiff_t dd = (ptrdiff_t)d * d;
    double *L = room, *A = room + dd, *K = room + 2 * dd, *P = room + 3 * dd, *u = room + 4 * dd;
    memcpy(L, C, (size_t)dd * sizeof *L);
    if (fd_cholesky(st, d, L)) return;
    for (int i = 0; i < d; i++)
        for (int j = 0; j < d; j++) {
            if (j > i) L[i * d + j] = 0;
            A[j * d + i] = j > i ? 0 : L[i * d + j];   /* L' */
        }
    small_mul(d, 0, A, H, P);
    small_mul(d, 0, P, L, K);
    for (int i = 0; i < d; i++) K[i * d + i] += 1;
    if (fd_cholesky(st, d, K)) return;
    for (int j = 0; j < d; j++) {                      /* columns of A */
        for (int i = 0; i < d; i++) u[i] = A[i * d + j];
        fd_solve_lower(d, K, 0, u);
        for (int i = 0; i < d; i++) A[i * d + j] = u[i];
    }
    small_mul(d, 0, A, H, P);
    for (int i = 0; i < d; i++) {
        u[i] = 0;
        for (int j = 0; j < d; j++) u[i] += A[i * d + j] * v[j];
        *c += .5 * u[i] * u[i] - log(K[i * d + i]);
    }
    for (int j = 0; j < d; j++)
        for (int i = 0; i < d; i++) {
            v[j] -= P[i * d + j] * u[i];
            for (int l = 0; l < d; l++) H[j * d + l] -= P[i * d + j] * P[i * d + l];
        }
}

/* h(x) becomes h(E x + m) */
static void proposal_pull(int d, const double *E, const double *m, double *c, double *v, double *H,
                          double *room)
{
    double *P = room, *u = room + (ptrdiff_t)d * d;
    for (int i = 0; i < d; i++) {                      /* u = v - H m */
        double Hm = 0;
        for (int j = 0; j < d; j++) Hm += H[i * d + j] * m[j];
        *c += m[i] * (v[i] - .5 * Hm);
        u[i] = v[i] - Hm;
    }
    small_mul(d, 0, H, E, P);
    for (int i = 0; i < d; i++) {
        v[i] = 0;
        for (int j = 0; j < d; j++) {
            double sum = 0;
            for (int l = 0; l < d; l++) sum += E[l * d + i] * P[l * d + j];
            H[i * d + j] = sum, v[i] += E[j * d + i] * u[j];
        }
    }
}

fd_proposal *fd_proposal_new(fd_arena *a, const fd_proposal *how)
{
    fd_status *st = a->st;
    if (st->code || !how || !how->e || !system_ready(__func__, how->e, st)) return NULL;
    const int d = how->e->d, K = how->steps;
    const ptrdiff_t dd = (ptrdiff_t)d * d;
    if (K < 1 || !how->t || !how->end || how->weight < 1 || how->weight > FD_PROPOSAL_CHAIN)
        FD_FAIL(st, FD_EARG, __func__, "wants steps >= 1, t, end and a weight", K, how->weight);
    for (int k = 0; k <= K && !st->code; k++)
        if (!isfinite(how->t[k]) || (k && how->t[k] <= how->t[k - 1]))
            FD_FAIL(st, FD_EARG, __func__, "times must ascend; see number", k);
    for (int i = 0; i < d && !st->code; i++)
        if (!isfinite(how->end[i])) FD_FAIL(st, FD_EDATA, __func__, "the end is not finite", i);
    for (int i = 0; i < how->more && !st->code; i++)
        if (!how->when || !how->values || !how->noise || how->when[i] < 1 || how->when[i] >= K
            || (i && how->when[i] <= how->when[i - 1]))
            FD_FAIL(st, FD_EARG, __func__,
                    "what is seen wants times between the ends, ascending, and noise; number", i);
    fd_proposal *g = fd_new(a, fd_proposal, 1);
    double *c = fd_new(a, double, K + 1), *v = fd_new(a, double, (K + 1) * (ptrdiff_t)d);
    double *H = fd_new(a, double, (K + 1) * dd), *own = fd_raw(a, double, dd);
    fd_arena scratch = *a;
    double *E = fd_raw(&scratch, double, 6 * dd + d), *m = fd_raw(&scratch, double, d);
    double *G = fd_raw(&scratch, double, (ptrdiff_t)d * how->e->w);
    if (st->code) return NULL;
    double *C = E + dd, *room = E + 2 * dd;
    *g = *how, g->c = c, g->v = v, g->H = H;
    if (!g->S) system_sigma(g->e, g->t[K], g->end, G, own), g->S = own;
    if (g->gamma)
        proposal_see(d, g->end, g->gamma, c + K, v + (ptrdiff_t)K * d, H + K * dd, room, st);
    for (int k = K - 1, left = g->more; k >= 0 && !st->code; k--) {
        double *ck = c + k, *vk = v + (ptrdiff_t)k * d, *Hk = H + k * dd;
        *ck = c[k + 1];
        memcpy(vk, vk + d, (size_t)d * sizeof *vk), memcpy(Hk, Hk + dd, (size_t)dd * sizeof *Hk);
        if (left && g->when[left - 1] == k + 1) {
            left--;
            proposal_see(d, g->values + (ptrdiff_t)left * d, g->noise + left * dd, ck, vk, Hk,
                         room, st);
        }
        proposal_linear(d, g->t[k + 1] - g->t[k], g->B, g->beta, g->S, E, m, C, room);
        if (k == K - 1 && !g->gamma) proposal_see(d, g->end, C, ck, vk, Hk, room, st);
        else proposal_blur(d, C, ck, vk, Hk, room, st);
        proposal_pull(d, E, m, ck, vk, Hk, room);
    }
    return st->code ? NULL : g;
}

double fd_proposal_log(const fd_proposal *g, int k, const double *x)
{
    if (!g) return NAN;
    const int d = g->e->d;
    const double *H = g->H + (ptrdiff_t)k * d * d, *v = g->v + (ptrdiff_t)k * d;
    double sum = g->c[k];
    for (int i = 0; i < d; i++) {
        sum += v[i] * x[i];
        for (int j = 0; j < d; j++) sum -= .5 * H[i * d + j] * x[i] * x[j];
    }
    return sum;
}

/* log N(u; 0, C h); C and u are overwritten */
static double log_normal(int d, double h, double *C, double *u, fd_status *st)
{
    double sum = -.5 * d * log(2 * FD_PI * h);
    if (fd_cholesky(st, d, C)) return NAN;
    fd_solve_lower(d, C, 0, u);
    for (int i = 0; i < d; i++) sum -= .5 * u[i] * u[i] / h + log(C[i * d + i]);
    return sum;
}

/* Of Euler's chain: returns `sum` plus the log density of what is seen of the path [steps + 1][d],
 * less that of the linear process, `first`. Q [d][d], y [d]: room. */
static double proposal_density(const fd_proposal *g, const double *path, double sum, double first,
                               double *Q, double *y, fd_status *st)
{
    const int d = g->e->d;
    const ptrdiff_t dd = (ptrdiff_t)d * d;
    if (g->gamma) memcpy(Q, g->gamma, (size_t)dd * sizeof *Q);
    for (int p = 0; p < d; p++) y[p] = g->end[p] - path[(ptrdiff_t)g->steps * d + p];
    sum += (g->gamma ? log_normal(d, 1, Q, y, st) : 0) - first;
    for (int q = 0; q < g->more; q++) {
        const double *at = path + (ptrdiff_t)g->when[q] * d;
        memcpy(Q, g->noise + q * dd, (size_t)dd * sizeof *Q);
        for (int p = 0; p < d; p++) y[p] = g->values[q * d + p] - at[p];
        sum += log_normal(d, 1, Q, y, st);
    }
    return sum;
}

void fd_proposal_path(const fd_proposal *g, int b, const double *z, double *path, double *logw,
                      fd_arena scratch)
{
    fd_status *st = scratch.st;
    if (!g || st->code) return;
    const fd_system *e = g->e;
    const int d = e->d, w = e->w, K = g->steps;
    const ptrdiff_t dd = (ptrdiff_t)d * d;
    double *F = fd_raw(&scratch, double, 3 * (ptrdiff_t)d), *r = F + d, *y = F + 2 * d;
    double *G = fd_raw(&scratch, double, (ptrdiff_t)d * w), *u = fd_raw(&scratch, double, w);
    double *Q = fd_raw(&scratch, double, dd);
    for (int i = 0; Q && i < b && !st->code; i++) {
        double *x = path + (ptrdiff_t)i * (K + 1) * d, sum = 0;
        const double first = fd_proposal_log(g, 0, x);
        for (int k = 0; k < K && !st->code; k++, x += d) {
            const double *zk = z + ((ptrdiff_t)i * K + k) * w, *H = g->H + k * dd;
            const double h = g->t[k + 1] - g->t[k];
            const int last = k == K - 1 && !g->gamma;
            e->f(e->self, x, g->t[k], F);
            system_sigma(e, g->t[k], x, G, Q);
            for (int p = 0; p < d; p++) {
                r[p] = g->v[(ptrdiff_t)k * d + p];
                for (int q = 0; q < d; q++) r[p] -= H[p * d + q] * x[q];
            }
            memset(u, 0, (size_t)w * sizeof *u);       /* u = g^T r */
            for (int p = 0; p < d; p++)
                for (int l = 0; l < w; l++) u[l] += G[p * w + l] * r[p];
            for (int p = 0; p < d; p++) {
                double gap = F[p] - (g->beta ? g->beta[p] : 0);
                x[d + p] = x[p] + h * F[p];
                for (int l = 0; l < w; l++) x[d + p] += G[p * w + l] * (h * u[l] + sqrt(h) * zk[l]);
                if (last) y[p] = g->end[p] - x[p] - h * F[p], x[d + p] = g->end[p];
                if (g->weight == FD_PROPOSAL_CHAIN) continue;
                for (int q = 0; q < d; q++) {
                    if (g->B) gap -= g->B[p * d + q] * x[q];
                    sum -= .5 * h * (Q[p * d + q] - g->S[p * d + q]) * (H[p * d + q] - r[p] * r[q]);
                }
                sum += h * gap * r[p];                /* [Neural bridges code, src/base.py] */
            }
            if (g->weight == FD_PROPOSAL_CHAIN && last) sum += log_normal(d, h, Q, y, st);
            else if (g->weight == FD_PROPOSAL_CHAIN)
                for (int l = 0; l < w; l++) sum -= u[l] * (sqrt(h) * zk[l] + .5 * h * u[l]);
            for (int p = 0; p < d && !st->code; p++)
                if (!isfinite(x[d + p]))
                    FD_FAIL(st, FD_ENAN, __func__, "the path is not finite; path, step", i, k);
        }
        if (g->weight == FD_PROPOSAL_CHAIN)
            sum = proposal_density(g, path + (ptrdiff_t)i * (K + 1) * d, sum, first, Q, y, st);
        if (!st->code) logw[i] = sum;
    }
}

int fd_proposal_move(const fd_proposal *g, double s, fd_rng r, uint32_t k, double *z, double *path,
                     double *logw, fd_arena scratch)
{
    if (!g || scratch.st->code) return 0;
    if (!(s > 0 && s <= 1)) FD_FAIL(scratch.st, FD_EARG, __func__, "wants 0 < s <= 1");
    const int d = g->e->d;
    const ptrdiff_t n = (ptrdiff_t)g->steps * g->e->w, m = ((ptrdiff_t)g->steps + 1) * d;
    double *next = fd_raw(&scratch, double, n), *way = fd_raw(&scratch, double, m), to;
    fd_real *xi = fd_raw(&scratch, fd_real, n), chance;
    if (scratch.st->code) return 0;
    fd_normal(fd_stream(r, 'g', k), n, xi);
    fd_uniform(fd_stream(r, 'u', k), 1, &chance);
    for (ptrdiff_t i = 0; i < n; i++) next[i] = sqrt(1 - s * s) * z[i] + s * (double)xi[i];
    memcpy(way, path, (size_t)d * sizeof *way);
    fd_proposal_path(g, 1, next, way, &to, scratch);
    if (scratch.st->code || !(log((double)chance) < to - *logw)) return 0;
    memcpy(z, next, (size_t)n * sizeof *z);
    memcpy(path, way, (size_t)m * sizeof *path);
    *logw = to;
    return 1;
}

double fd_proposal_mean(int n, const double *logw, double *ess)
{
    double top = -INFINITY, sum = 0, sq = 0;
    for (int i = 0; i < n; i++) top = fmax(top, logw[i]);
    for (int i = 0; i < n; i++) {
        double w = exp(logw[i] - top);
        sum += w, sq += w * w;
    }
    if (ess) *ess = sum * sum / sq;
    return top + log(sum / n);
}

/* --- Flows of outlines --- */

/* F [P][m], and U = F^+ as [P][m]; NULL where the state is the points */
typedef struct { fd_shapes s; int m; double *F, *U; } kunita;
enum { KUNITA_WAVES = 32 };                           /* the most of them */

/* F_pj, what coefficient j of rfft(.)/P says of point p; F^+_jp = F_pj/P, for j > 0 F_pj/2P */
static double kunita_wave(int P, int p, int j)
{
    double u = 2 * FD_PI * ((j + 1) / 2) * p / P;
    return j == 0 ? 1 : j % 2 ? 2 * cos(u) : -2 * sin(u);
}

/* x_p; with `frozen`, where it was at first */
static void kunita_point(const kunita *k, const double *z, int p, double x[3])
{
    const int dim = k->s.dim;
    for (int a = 0; a < dim; a++) {
        x[a] = k->F || k->s.frozen ? k->s.from[p * dim + a] : z[p * dim + a];
        for (int j = 0; k->F && !k->s.frozen && j < k->m; j++)
            x[a] += k->F[p * k->m + j] * z[j * dim + a];
    }
}

/* k(x, c_l) and its gradient D [dim] in x */
static double kunita_kernel(const kunita *k, const double x[3], int l, double D[3])
{
    const int dim = k->s.dim;
    const double *c = k->s.centre + l * dim, w2 = k->s.width * k->s.width;
    double v = 0;
    for (int a = 0; a < dim; a++) D[a] = x[a] - c[a], v += D[a] * D[a];
    v = k->s.size * exp(-v / (2 * w2));
    for (int a = 0; a < dim; a++) D[a] *= -v / w2;
    return v;
}

/* g of the system: F^+ of the kernels, alike in every dimension */
static void kunita_noise(const void *self, const double *z, double t, double *G)
{
    const kunita *k = self;
    const int dim = k->s.dim, m = k->m, w = k->s.centres * dim;
    double x[3], D[3];
    (void)t;
    memset(G, 0, (size_t)m * (size_t)dim * (size_t)w * sizeof *G);
    for (int p = 0; p < k->s.points; p++) {
        kunita_point(k, z, p, x);
        for (int l = 0; l < k->s.centres; l++) {
            double v = kunita_kernel(k, x, l, D);
            if (!k->F) G[p * dim * w + l * dim] = v;
            for (int j = 0; k->F && j < m; j++) G[j * dim * w + l * dim] += k->U[p * m + j] * v;
        }
    }
    for (int j = 0; j < m; j++)                         /* every dimension alike */
        for (int a = 1; a < dim; a++)
            for (int l = 0; l < k->s.centres; l++)
                G[(j * dim + a) * w + l * dim + a] = G[j * dim * w + l * dim];
}

/* kunita_sum -- y = F^+ of sum_l [(Dk)_p (R k)_p + k_p sum_q R_qq (Dk)_q] with div = 1, else of
 * half the first term. Of R k = F F^+ k, F^+ k comes first, of all points.
 *
 * The fast body takes KUNITA_SIDE centres at once, so that the places of points are made and F and
 * F^+ are read once for all of them. */
#ifdef FD_PLAIN
static void kunita_sum(const kunita *k, const double *z, int div, double *y)
{
    const int dim = k->s.dim, P = k->s.points, m = k->m;
    const double R = k->F ? (double)m / P : 1;
    double x[3], D[3];
    memset(y, 0, (size_t)m * (size_t)dim * sizeof *y);
    for (int l = 0; l < k->s.centres && !k->s.frozen; l++) {
        double low[2 * KUNITA_WAVES] = { 0 }, sum[3] = { 0 };         /* F^+ k, sum_q R_qq (Dk)_q */
        for (int p = 0; p < P; p++) {
            kunita_point(k, z, p, x);
            double v = kunita_kernel(k, x, l, D);
            for (int j = 0; k->F && j < m; j++) low[j] += k->U[p * m + j] * v;
            for (int a = 0; a < dim; a++) sum[a] += R * D[a];
        }
        for (int p = 0; p < P; p++) {
            kunita_point(k, z, p, x);
            double v = kunita_kernel(k, x, l, D), kept = k->F ? 0 : v;
            for (int j = 0; k->F && j < m; j++) kept += k->F[p * m + j] * low[j];
            for (int a = 0; a < dim; a++) {
                double term = div ? D[a] * kept + v * sum[a] : .5 * D[a] * kept;
                if (!k->F) y[p * dim + a] += term;
                for (int j = 0; k->F && j < m; j++) y[j * dim + a] += k->U[p * m + j] * term;
            }
        }
    }
}
#else
enum { KUNITA_SIDE = 8 };
static void kunita_sum(const kunita *k, const double *z, int div, double *y)
{
    const int dim = k->s.dim, P = k->s.points, m = k->m;
    const double R = k->F ? (double)m / P : 1;
    double x[3], D[3];
    memset(y, 0, (size_t)m * (size_t)dim * sizeof *y);
    for (int l0 = 0; l0 < k->s.centres && !k->s.frozen; l0 += KUNITA_SIDE) {
        const int n = k->s.centres - l0 < KUNITA_SIDE ? k->s.centres - l0 : KUNITA_SIDE;
        double low[KUNITA_SIDE][2 * KUNITA_WAVES] = { { 0 } }, sum[KUNITA_SIDE][3] = { { 0 } };
        for (int p = 0; p < P; p++) {
            kunita_point(k, z, p, x);
            for (int l = 0; l < n; l++) {
                double v = kunita_kernel(k, x, l0 + l, D);
                for (int j = 0; k->F && j < m; j++) low[l][j] += k->U[p * m + j] * v;
                for (int a = 0; a < dim; a++) sum[l][a] += R * D[a];
            }
        }
        for (int p = 0; p < P; p++) {
            double term[3] = { 0, 0, 0 };
            kunita_point(k, z, p, x);
            for (int l = 0; l < n; l++) {
                double v = kunita_kernel(k, x, l0 + l, D), kept = k->F ? 0 : v;
                for (int j = 0; k->F && j < m; j++) kept += k->F[p * m + j] * low[l][j];
                for (int a = 0; a < dim; a++)
                    term[a] += div ? D[a] * kept + v * sum[l][a] : .5 * D[a] * kept;
            }
            for (int a = 0; a < dim; a++) {
                if (!k->F) y[p * dim + a] += term[a];
                for (int j = 0; k->F && j < m; j++) y[j * dim + a] += k->U[p * m + j] * term[a];
            }
        }
    }
}
#endif

static void kunita_div(const void *self, const double *z, double t, double *y)
{
    (void)t;
    kunita_sum(self, z, 1, y);
}

static void kunita_drift(const void *self, const double *z, double t, double *y)
{
    const kunita *k = self;
    (void)t;
    if (k->s.ito) kunita_sum(k, z, 0, y);
    else memset(y, 0, (size_t)k->m * (size_t)k->s.dim * sizeof *y);
}

fd_system fd_kunita(fd_arena *a, const fd_shapes *how)
{
    fd_status *st = a->st;
    const fd_system none = { 0, 0, NULL, NULL, NULL, NULL };
    if (st->code || !how) return none;
    if (how->points < 1 || how->dim < 1 || how->dim > 3 || how->centres < 1 || how->waves < 0)
        FD_FAIL(st, FD_EARG, __func__, "points, dim, centres or waves is out of range", how->points,
                how->dim, how->centres, how->waves);
    else if (!(how->width > 0 && isfinite(how->width)) || !isfinite(how->size))
        FD_FAIL(st, FD_EARG, __func__, "width must be positive, and size finite");
    else if (!how->centre || ((how->waves || how->frozen) && !how->from))
        FD_FAIL(st, FD_EARG, __func__, "wants centres, and with waves or frozen an outline");
    else if (how->waves > KUNITA_WAVES || 2 * how->waves - 1 > how->points)
        FD_FAIL(st, FD_ESHAPE, __func__, "more waves than points have, or than 32", how->waves,
                how->points);
    kunita *k = fd_new(a, kunita, 1);
    if (st->code) return none;
    k->s = *how, k->m = how->waves ? 2 * how->waves - 1 : how->points;
    if (how->waves) {
        k->F = fd_raw(a, double, 2 * (ptrdiff_t)how->points * k->m);
        if (!k->F) return none;
        k->U = k->F + (ptrdiff_t)how->points * k->m;
        for (int p = 0; p < how->points; p++)
            for (int j = 0; j < k->m; j++) {
                double v = kunita_wave(how->points, p, j);
                k->F[p * k->m + j] = v, k->U[p * k->m + j] = v / ((j ? 2. : 1.) * how->points);
            }
    }
    return (fd_system){ k->m * how->dim, how->centres * how->dim, kunita_drift, kunita_noise,
                        kunita_div, k };
}

void fd_kunita_points(const fd_shapes *how, int b, const double *z, double *x)
{
    const int P = how->points, dim = how->dim, m = how->waves ? 2 * how->waves - 1 : P;
    for (ptrdiff_t i = 0; i < b; i++, z += m * dim, x += P * dim)
        for (int p = 0; p < P * dim; p++) {
            x[p] = how->waves ? how->from[p] : z[p];
            for (int j = 0; how->waves && j < m; j++)
                x[p] += kunita_wave(P, p / dim, j) * z[j * dim + p % dim];
        }
}

void fd_kunita_state(const fd_shapes *how, int b, const double *x, double *z)
{
    const int P = how->points, dim = how->dim, m = how->waves ? 2 * how->waves - 1 : P;
    for (ptrdiff_t i = 0; i < b; i++, z += m * dim, x += P * dim)
        for (int j = 0; j < m * dim; j++) {
            z[j] = how->waves ? 0 : x[j];
            for (int p = 0; how->waves && p < P; p++)
                z[j] += kunita_wave(P, p, j / dim) / (j < dim ? P : 2. * P)
                      * (x[p * dim + j % dim] - how->from[p * dim + j % dim]);
        }
}

/* ==== IV. Rewards ============================================================================= *
 *
 * A step x' = mu(x) + s xi, xi ~ N(0, C), is an action of a policy [Thesis sec. 3.7].
 *
 *     code     meaning
 *     mu, s    the mean and the deviation of a step
 *     rho      p_new(x')/p_old(x'), whose log is `ratio`
 *     A        the advantage of a path: its reward, centred and scaled
 */

void fd_policy_ratio(const fd_cov *c, double s, int b, const fd_real *mu_new, const fd_real *mu_old,
                     const fd_real *next, double *ratio, double *norm, fd_arena scratch)
{
    if (scratch.st->code || !c) return;
    if (!(s > 0 && isfinite(s))) FD_FAIL(scratch.st, FD_EARG, __func__,
                                         "s must be positive: a step without noise has no density");
    const ptrdiff_t n = b * fd_size(&c->s);
    fd_real *D = fd_raw(&scratch, fd_real, n), *e = fd_raw(&scratch, fd_real, n);
    double *inner = fd_raw(&scratch, double, b), *size = fd_raw(&scratch, double, b);
    if (scratch.st->code) return;
    for (ptrdiff_t i = 0; i < n; i++) D[i] = mu_new[i] - mu_old[i], e[i] = next[i] - mu_old[i];
    cameron(c, b, D, e, inner, size, scratch);
    for (int i = 0; i < b && !scratch.st->code; i++) {
        ratio[i] = (inner[i] - .5 * size[i]) / (s * s);
        if (norm) norm[i] = sqrt(fmax(0, size[i]));
    }
}

void fd_policy_pull(const fd_cov *c, double s, double power, int b, const fd_real *mu,
                    const fd_real *next, fd_real *y, fd_arena scratch)
{
    if (scratch.st->code || !c) return;
    if (!(s > 0 && isfinite(s))) FD_FAIL(scratch.st, FD_EARG, __func__,
                                         "s must be positive: a step without noise has no density");
    const ptrdiff_t n = b * fd_size(&c->s);
    fd_real *e = fd_raw(&scratch, fd_real, n);
    if (scratch.st->code) return;
    for (ptrdiff_t i = 0; i < n; i++) e[i] = (fd_real)(((double)next[i] - (double)mu[i]) / (s * s));
    fd_cov_pow(c, power - 1, b, e, e, scratch);
    if (!scratch.st->code) memcpy(y, e, (size_t)n * sizeof *y);
}

double fd_policy_weight(int rule, double ratio, double advantage, double clip)
{
    double rho = exp(ratio);
    if (rule == FD_POLICY_PLAIN) return advantage;
    if (rule == FD_POLICY_CLIPPED && (advantage > 0 ? rho > 1 + clip : rho < 1 - clip)) return 0;
    return advantage == 0 ? 0 : rho * advantage;                      /* [DDPO eq. DDPO_IS] */
}

/* Are there rewards, all finite? */
static int rewards_ready(const char *where, int n, const double *r, fd_status *st)
{
    if (st->code) return 0;
    if (n < 1) FD_FAIL(st, FD_EARG, where, "needs a reward", n);
    for (int i = 0; i < n && !st->code; i++)
        if (!isfinite(r[i])) FD_FAIL(st, FD_EDATA, where, "a reward is not finite", i);
    return !st->code;
}

void fd_advantages(int n, const double *r, double most, double *adv, fd_status *st)
{
    if (!rewards_ready(__func__, n, r, st)) return;
    double mean = 0, var = 0;
    for (int i = 0; i < n; i++) mean += r[i] / n;
    for (int i = 0; i < n; i++) var += (r[i] - mean) * (r[i] - mean) / n;
    for (int i = 0; i < n; i++) {
        adv[i] = (r[i] - mean) / (sqrt(var) + 1e-8);
        if (most > 0) adv[i] = fmax(-most, fmin(most, adv[i]));
    }
}

void fd_reward_weights(int n, const double *r, double beta, double *w, fd_status *st)
{
    if (!rewards_ready(__func__, n, r, st)) return;
    for (int i = 0; i < n; i++) w[i] = beta * r[i];
    softmax(n, w);
}

typedef struct { const fd_process *p; fd_model old, now; double power, scale; } policy;

/* y becomes (C/lam_max)^power y */
static void policy_smooth(const policy *o, int b, fd_real *y, fd_arena scratch)
{
    fd_cov_pow(o->p->noise, o->power, b, y, y, scratch);
    for (ptrdiff_t i = 0; i < b * fd_size(&o->p->noise->s) && !scratch.st->code; i++)
        y[i] = (fd_real)(o->scale * (double)y[i]);
}

/* D_old + (C/lam_max)^power (D_now - D_old) */
static void policy_eval(const void *self, const fd_space *s, int b, const fd_real *x,
                        const double *t, fd_real *y, fd_arena scratch)
{
    const policy *o = self;
    if (!space_fits(scratch.st, "fd_policy_model", s, &o->p->noise->s)) return;
    const ptrdiff_t n = b * fd_size(s);
    fd_real *d = fd_raw(&scratch, fd_real, 2 * n), *old = d + n;
    if (!d) return;
    fd_predict(&o->old, FD_X0, o->p, b, x, t, old, scratch);
    fd_predict(&o->now, FD_X0, o->p, b, x, t, d, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++) d[i] -= old[i];
    policy_smooth(o, b, d, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++) y[i] = old[i] + d[i];
}

static void policy_vjp(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, const fd_real *dy, fd_real *dx, fd_arena scratch)
{
    const policy *o = self;
    if (!space_fits(scratch.st, "fd_policy_model", s, &o->p->noise->s)) return;
    const ptrdiff_t n = b * fd_size(s);
    fd_real *d = fd_raw(&scratch, fd_real, 3 * n), *rest = d + n, *part = d + 2 * n;
    if (!d) return;
    memcpy(d, dy, (size_t)n * sizeof *d);
    space_riesz(s, 1, b, d);                           /* C is its own adjoint in L2 */
    policy_smooth(o, b, d, scratch);
    space_riesz(s, 0, b, d);
    for (ptrdiff_t i = 0; i < n; i++) rest[i] = dy[i] - d[i];
    o->old.vjp(o->old.self, s, b, x, t, rest, part, scratch);
    if (!scratch.st->code) o->now.vjp(o->now.self, s, b, x, t, d, rest, scratch);
    for (ptrdiff_t i = 0; i < n && !scratch.st->code; i++) dx[i] = part[i] + rest[i];
}

static void policy_var(const void *self, const fd_space *s, int b, const fd_real *x,
                       const double *t, fd_real *w, fd_arena scratch)
{
    const policy *o = self;
    o->old.var(o->old.self, s, b, x, t, w, scratch);
}

fd_model fd_policy_model(fd_arena *a, const fd_process *p, fd_model old, fd_model now, double power)
{
    fd_model m = { FD_X0, policy_eval, NULL, NULL, NULL, NULL };
    double most = 0;
    if (!proc_given(__func__, p, a->st) || !p->noise || !old.eval || !now.eval)
        return (fd_model){ 0 };
    for (ptrdiff_t k = 0; k < p->noise->s.modes; k++) most = fmax(most, p->noise->lam[k]);
    if (!(power >= 0) || !isfinite(power) || !(most > 0))
        FD_FAIL(a->st, FD_EARG, __func__, "needs a power of C, 0 or more, and noise");
    policy *o = fd_new(a, policy, 1);
    if (!o) return (fd_model){ 0 };
    *o = (policy){ p, old, now, power, pow(most, -power) };
    if (old.predicts == FD_X0 && now.predicts == FD_X0 && old.vjp && now.vjp) m.vjp = policy_vjp;
    if (old.var) m.var = policy_var;
    m.self = o;
    return m;
}

double fd_policy_best(int n, const double *a, const double *s, double *shift, double *keep,
                      fd_status *st)
{
    if (!st->code && n < 1) FD_FAIL(st, FD_EARG, __func__, "needs a step", n);
    for (int k = 0; k < n && !st->code; k++)
        if (!(s[k] >= 0 && isfinite(s[k])) || !isfinite(a[k]))
            FD_FAIL(st, FD_EARG, __func__, "needs s >= 0 and a number a; step", k);
    if (st->code) return NAN;
    double pi = 1, sum = 0;
    for (int k = n - 1; k >= 0; k--) {
        if (shift) shift[k] = s[k] * s[k] * pi;
        sum += s[k] * s[k] * pi * pi;
        pi *= a[k];
    }
    if (keep) *keep = pi;
    return sum;
}

/* ==== Errata ================================================================================== *
 *
 * Where this file and fd.h do otherwise than a paper or its code, one block for each. A line that
 * says "corrected" or "differs from" points here; fd.h says at the name that stands last what is
 * done in its place.
 *
 * Thesis, by the numbers in print
 *   2.16, 3.34          W h and dt for dW
 *   2.36, 2.40          no d tau; dW for W
 *   2.44, 2.45, 2.46    e^A t for e^(At); no "= 1"; dW_s for ds
 *   3.10, 3.15          the forward kernel; its fraction turned over, a root too long
 *   3.22, 3.60          the weight inside the norm, on one term; H for the Cameron-Martin norm
 *   3.26, 3.27          time runs up: both signs. 4.5, 4.7: the sign of the score
 *   3.29, 3.30, 3.58    the chain's roots exchanged; + b X for - b X in the last two
 *   3.35, 3.36, 3.38    start at another X than they step from; 1/sqrt(2h) for 1/(2 sqrt h)
 *   3.63, 3.64          T - t on one side, t on the other; 4.26, 4.34: t of the forward equation
 *   3.65-3.69           k = 1..N without 1/N, for |k| < N/2 with it; no k in the transforms
 *   3.55-3.58, 4.5, 4.7, 4.31, 4.32, 4.34: what starts with the law of X_T is called X_T
 *   4.10, 4.27          no dt beside A X; it is X_T/sqrt T that tends to a Gaussian
 *   alg. 2, alg. 3      no noise in the predictor; 1/(r t) for 1/t, k up, noise halved by phases
 *
 * DDO, its code
 *   the kernel "rbf"    omits the square of the distance: fd_cov_exp
 *   the corrector       has NCSN's rule for standard deviations, applied to variances:
 *                       FD_CORRECT_LADDER
 *
 * FDP, its code
 *   b_k                 are not bounded, as the paper asks; m_k(1) is up to .345: fd_fdp
 *   r_k                 are variances of pixels, which change with the grid: fd_fdp_noise
 *   the loss            b/r leaves out 2 beta b m^2/(1 - m^2)^2: FD_NORM_LIKELIHOOD
 *   the predictor       drops the last half of its step: FD_SEMI_ANALYTIC
 *   the corrector       has norms over all modes of the grid and over the batch:
 *                       FD_CORRECT_SNR_GRID
 *   last D              is told tmin for a state one step above it: fd_fdp_sampler
 *
 * SDE
 *   algs. 4, 5          the same norms; alg. 5 has another factor 1 - beta_k: FD_CORRECT_SNR_GRID
 *
 * FFM, its code
 *   the corrector       has -e for the score: without 1/sqrt v variances are up to 12 times too
 *                       large: FD_CORRECT_SCALED
 *   the spectrum        is a sum of complex coefficients, which measures phases and the grid:
 *                       fd_spectrum
 *
 * FNO
 *   Navier-Stokes       s is 2 tau^3 in the code, tau^(3/2) in print: fd_cov_power
 *
 * KER
 *   the loss            leaves out the weight beta^2/(2 beta~ (1 - beta)(1 - gamma)): FD_NORM_STEP
 *
 * HDM, its code
 *   the start           N(0, I) has too much in the top modes: fd_heat
 *
 * DDO-SDF, its code
 *   the em sampler      has m' for m'/m: fd_blur
 *
 * SGT, its code
 *   the slope           is of a batch, not of one function: FD_SEES_SLOPE
 *
 * Baker et al., their code
 *   the reverse drift   leaves div Sigma out: fd_system_reverse
 *
 * DDPO
 *   log p               is a mean over pixels, which changes with the grid; here it is a sum over
 *                       modes: fd_policy_ratio */
