/* build.h -- what a spec stands for: covariances, processes, networks; cases in the order of the
 * tables of specs.h. */
#ifndef BUILD_H
#define BUILD_H
#include "options.h"

/* What is done to the values of a file: x = scale file + shift in each channel, less center. */
typedef struct {
    int kind, bytes;                       /* row of t_normalize; does the file hold bytes? */
    double scale[CHANNELS], shift[CHANNELS];
    fd_real *center;                       /* [ch][points] on the model's grid, or NULL for 0 */
} normal;

/* All that sampling needs. */
typedef struct kit kit;
typedef struct dataset dataset;
struct kit {
    spec cov, process, predict, precond;
    int axes;                              /* row of t_axes: of the files of its functions */
    normal norm;
    fd_space s;
    fd_cov *noise, *c0;                    /* of the process; of the data */
    fd_real *mean;                         /* of the data */
    fd_process p, learned;                 /* on this grid; as it was on the grid of training */
    fd_precond *pre;                       /* NULL: none */
    fd_net *net;
    fd_opt *opt;
    fd_real *from;                         /* of fd tune: the weights before; else NULL */
    fd_model model;                        /* with the averaged weights */
    spec condition;                        /* t NULL: the network is not told of observations ... */
    const char *base;                      /* ... else "none", "gauss" or the file of ... */
    const kit *frozen;                     /* ... this model */
    uint64_t places;                       /* the seed of where it observes */
    fd_condition how;
    fd_model raw;                          /* the network as fd_amortised_model wants it */
    fd_obs o;                              /* what it observes, where that does not move */
    fd_amortised *told, *alone;            /* of o, else NULL; without observations */
    /* between.t NULL: no model of pairs. Else what is above is of the ends of pairs, and axes0,
     * norm0 and (in training) starts are of where they start. */
    spec between, couple;
    int axes0;
    normal norm0;
    const dataset *starts;
    double drop;                           /* of labels */
    fd_linear line;
    fd_interpolant mid;
};

/* Functions as a model sees them; the section "Data" says how they come to be. */
struct dataset {
    const char *name;                      /* of the file */
    fd_space s, from;                      /* as they are used, as they are in the file */
    int m, total, axes;                    /* how many are used, are there; row of t_axes */
    const int *order;                      /* which ones, or NULL: the first m */
    normal norm;
    fd_real *x;                            /* [total][ch][points] in memory, or NULL: */
    source file;                           /* they are read when they are needed */
    double mid[CHANNELS], sd[CHANNELS];    /* of the values in the file */
    fd_real *mean;                         /* of what a model sees: the mean [ch][points], and */
    double *var;                           /* [modes] variances, averaged over channels */
    const int *label;                      /* [m], or NULL; from 0 to ... */
    int labels;                            /* ... one less than that */
};

enum { COV_BAND = 1, COV_EMPIRICAL = 9, COV_PIXEL, COV_ORTHO, COV_FDP };
static inline double ref_of(const spec *c)             /* the key ref, of the last rows */
{
    return c->row < COV_PIXEL ? 1 : c->v[keys_of(&c->t->rows[c->row]) - 1];
}

/* cov_table -- of given eigenvalues. */
static inline fd_cov *cov_table(fd_arena *a, const fd_space *s, const fd_real *lam)
{
    double *v = fd_raw(a, double, s->modes);
    for (ptrdiff_t i = 0; v && i < s->modes; i++) v[i] = (double)lam[i];
    return v ? fd_cov_table(a, s, v) : NULL;
}

/* cov_pixel -- what orthonormal transforms of pixels do: rho_k / ref, ref pixels in all. */
static inline fd_cov *cov_pixel(fd_arena *a, const fd_space *s, const spec *c, double ref)
{
    const double *v = c->v;
    double *lam = fd_new(a, double, s->modes), n2 = pow(ref, 2.0 / s->nd), pi = acos(-1);
    if (!lam) return NULL;
    fd_laplace(s, lam, *a);
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        double rho = c->row == COV_PIXEL ? v[0] * v[0]
                   : c->row == COV_ORTHO ? v[0] * pow(lam[k] / (4 * pi * pi) + v[1] * v[1], -v[2])
                                         : 2 * pow(v[1] + lam[k] / n2, -v[0]);
        lam[k] = rho / ref;
    }
    return fd_cov_table(a, s, lam);
}

/* cov_build -- on s; points: those of the grid that ref=0 speaks of, 0: of s. */
static inline fd_cov *cov_build(fd_arena *a, const fd_space *s, const spec *c, const dataset *d,
                                ptrdiff_t points)
{
    const double *v = c->v;
    fd_cov *r = NULL;
    double scale = v[0], n = 0, *lam;
    int j[3];
    switch (c->row) {
    case 0: return fd_cov_white(a, s, v[0] * v[0], (int)v[1]);
    case 1:                                            /* elsewhere fd_cov_on adds zeros */
        lam = fd_new(a, double, s->modes);
        for (ptrdiff_t i = 0; lam && i < s->modes; i++) n += !fd_mode(s, i, j);
        for (ptrdiff_t i = 0; lam && i < s->modes; i++) lam[i] = fd_mode(s, i, j) ? 0 : v[0] / n;
        return lam ? fd_cov_table(a, s, lam) : NULL;
    case 2: case 3: case 4:
        scale = v[c->row == 3 ? 2 : 1];
        for (int again = v[c->row == 3 ? 3 : 2] == 0; again >= 0; again--) {
            r = c->row == 2 ? fd_cov_rbf(a, s, scale, v[0])
              : c->row == 3 ? fd_cov_matern(a, s, scale, v[1], v[0])
                            : fd_cov_exp(a, s, scale, v[0]);
            if (again && scale > 0) scale *= scale / fd_cov_pixel(r);
        }
        return r;
    case 5: case 6:
        if (v[3] > 0) scale = 1;
        for (int again = v[3] > 0; again >= 0; again--) {
            r = c->row == 5 ? fd_cov_power(a, s, scale, v[1], v[2])
                            : fd_cov_bessel(a, s, scale, v[1], v[2]);
            double trace = r ? fd_cov_trace(r) : 1;            /* the domain has volume 1 */
            if (again && !(trace > 0 && v[3] / trace < INFINITY))
                die(bad, "--cov: the eigenvalues are too small or too large for var");
            if (again) scale = v[3] / trace;
        }
        return r;
    case 7: return fd_cov_bridge(a, s, v[0]);
    case 8: return fd_cov_brownian(a, s, v[0]);
    case COV_EMPIRICAL:
        if (!d) die(2, "--cov: empirical is the spectrum of given functions; here are none");
        return fd_cov_spectrum(a, s, d->var, v[0]);
    default:
        if (ref_of(c) > 0) points = (ptrdiff_t)ref_of(c);
        else if (!points) points = s->points;
        return c->row == COV_FDP ? fd_fdp_noise(a, s, v[0], points)
                                 : cov_pixel(a, s, c, (double)points);
    }
}
enum { PROCESS_DDPM = 7, PROCESS_LADDER = 9 };

/* cov_again -- the covariance that c was built with on one grid on another. */
static inline fd_cov *cov_again(fd_arena *a, const fd_space *s, const spec *c, const fd_cov *first,
                                ptrdiff_t points)
{
    return c->row == COV_BAND || c->row == COV_EMPIRICAL ? fd_cov_on(a, first, s)
                                                         : cov_build(a, s, c, NULL, points);
}

/* process_build -- N: pixels of the first axis of the grid that unit=pixel speaks of, 0: of c's. */
static inline fd_process process_build(fd_arena *a, const fd_cov *c, const spec *p, int N)
{
    const double *v = p->v;
    fd_process r, *base;
    double tmin = 0, pixel = 1;
    if (c && (p->row == 11 || p->row == 12) && v[2] > 0) pixel = N ? N : c->s.n[0];
    const char *name = p->t->rows[p->row].name;
    if ((p->row == 0 || p->row == 2) && !(v[0] + v[1] > 0))
        die(bad, "--process: %s: b0 + b1 must be above 0", name);
    if (p->row == 3 && !(v[1] > v[0])) die(bad, "--process: %s: smax must be above smin", name);
    if (p->row == 6 && v[0] >= 1) die(bad, "--process: %s: smin must be below 1", name);
    switch (p->row) {
    case 0: r = fd_vp(c, v[0], v[1]); tmin = v[2]; break;
    case 1: r = fd_vp_cosine(c); tmin = v[0]; break;
    case 2: r = fd_subvp(c, v[0], v[1]); tmin = v[2]; break;
    case 3: r = fd_ve(c, v[0], v[1]); tmin = v[2]; break;
    case 4: r = fd_ou(c, v[0]); tmin = v[1]; break;
    case 5: r = fd_driftless(c, v[0]); tmin = v[1]; break;
    case 6: r = fd_flow(c, v[0]); tmin = v[1]; break;
    case PROCESS_DDPM: {
        double *beta = fd_raw(a, double, (int)v[0]);
        if (!beta) return (fd_process){ 0 };
        fd_beta_schedule((int)v[3], (int)v[0], v[1], v[2], beta, a->st);
        r = fd_ddpm_betas(a, c, (int)v[0], beta);
        break;
    }
    case 8: r = fd_flow_vp(c, v[0]); tmin = v[1]; break;
    case PROCESS_LADDER:
        if (v[1] <= v[0]) die(bad, "--process: ladder needs v1 < vT");
        r = fd_ladder(c, v[0], v[1], (int)v[2]);
        break;
    case 10: r = fd_fdp(a, c, v[0], v[1], NULL); tmin = v[2]; break;
    case 11: r = fd_heat(c, v[0], v[1] / (pixel * pixel), NULL, NULL, v[3]); tmin = v[4]; break;
    case 12: r = fd_heat_cosine(c, v[0], v[1] / (pixel * pixel)); tmin = v[3]; break;
    default:
        if (v[1] < v[0]) die(bad, "--process: blur needs w0 <= w1");
        base = fd_new(a, fd_process, 1);
        if (!base) return (fd_process){ 0 };
        *base = fd_flow_vp(c, 0);
        base->tmin = 2 / acos(-1) * atan(exp(-5));
        base->tmax = 1 - base->tmin;
        r = fd_blur(base, v[0], v[1]);
        tmin = v[2];
    }
    if (r.why) die(bad, "--process: %s", r.why);
    if (!r.law) { spec_need(a->st, "process"); return r; }
    if (tmin > 0) r.tmin = tmin;
    if (r.tmin >= r.tmax)
        die(bad, "--process: tmin=%g is not below the last time, %g", r.tmin, r.tmax);
    return r;
}

static inline fd_arch arch_build(const spec *n, const fd_space *s)
{
    const row *r = &n->t->rows[n->row];
    fd_arch arch;
    char word[32];
    int modes = -1, patch = 0;
    memset(&arch, 0, sizeof arch);
    arch.kind = net_kind[n->row];
    arch.nd = s->nd;
    arch.in = arch.out = s->ch;
    for (int i = 0; i < keys_of(r); i++) {
        const key *k = &r->keys[i];
        double v = n->v[i];
        int j = 0;
        if (!strcmp(k->name, "modes") || !strcmp(k->name, "waves")) modes = (int)v;
        if (!strcmp(k->name, "patch")) patch = (int)v;
        while (j < COUNT(net_keys) && (strcmp(net_keys[j].key, k->name)
               || (net_keys[j].kind && net_keys[j].kind != arch.kind))) j++;
        if (j == COUNT(net_keys)) continue;
        char *at = (char *)&arch + net_keys[j].at;
        if (net_keys[j].words)
            v = net_keys[j].first + choice(net_keys[j].words, choice_word(k, (int)v, word));
        if (net_keys[j].real) *(double *)(void *)at = v;
        else *(int *)(void *)at = (int)v;
    }
    /* modes count -M..M-1 */
    int signs = arch.kind == FD_FNO_ORIGINAL || arch.kind == FD_FNO_SEPARABLE;
    for (int i = 0; i < s->nd; i++) {
        int most = s->nd < 3 ? 13 : 6, half = s->n[i] > 2 * most ? most : (s->n[i] - 1) / 2;
        if (arch.kind == FD_POINTS) arch.points.waves[i] = modes;
        else if (modes >= 0)
            arch.fno.modes[i] = modes ? modes : half < 1 ? 1 : signs ? half : 2 * half;
        arch.vit.patch[i] = patch;
        arch.grid[i] = s->n[i];
        arch.fno.pad[i] = arch.fno.pad[0];
    }
    return arch;
}

/* net_build -- or an error that names the flag, and numbers without the struct of fd_arch that they
 * stand in, as they are given. */
static inline fd_net *net_build(fd_arena *a, const fd_arch *arch, fd_rng r)
{
    static const char *const in[] = { " fno.", " u.", " vit.", " points.", " inr." };
    char why[256], *at;
    fd_net *net = fd_net_new(a, arch, r);
    if (a->st->code == FD_EARG && fd_explain(a->st, why, sizeof why)) {
        for (int i = 0; i < COUNT(in); i++)
            while ((at = strstr(why, in[i]))) 
                memmove(at + 1, at + strlen(in[i]), strlen(at + strlen(in[i])) + 1);
        die(2, "--net: %s", why);
    }
    need(a->st);
    return net;
}

#endif
