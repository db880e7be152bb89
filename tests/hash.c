/* hash.c -- are the bits the same here? `hash` prints a line `name hash` for each of many things
 * that the library computes; `hash FILE` compares with the lines of a file, names those that differ
 * and ends with `N passed, N failed`. See fd_build in fd.h for what is promised: the hashes of a
 * strict build in float are in tests/data/hash.txt (make hash). They are FNV-1a over numbers as
 * integers, the low byte first, so that the order of bytes in memory does not show. */
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 32, B = 3, ROWS = 200 };                  /* points, functions; lines of a file */
static struct { char name[32]; unsigned long long hash; int seen; } row[ROWS];
static int rows, passed, failed, compare;
/* of starve.c: failures stay, nothing is said */
static int starve;
#define NONE 14695981039346656037u                  /* the hash of nothing */
static uint64_t sum;
static int sound = 1;
static fd_status st;

static void eat(ptrdiff_t n, const fd_real *x)
{
    for (ptrdiff_t i = 0; i < n && x && !(starve && st.code); i++) {
        uint64_t u = 0;
        uint32_t half;
        if (sizeof *x == 4) memcpy(&half, x + i, 4), u = half;
        else memcpy(&u, x + i, sizeof u > sizeof *x ? 4 : 8);
        for (size_t k = 0; k < sizeof *x; k++) sum = (sum ^ (u >> 8 * k & 255)) * 1099511628211u;
        sound &= isfinite(x[i]) != 0;
    }
}

/* Numbers that stay double are hashed as fd_real: libraries differ in their last bits. */
static void eat_double(ptrdiff_t n, const double *x)
{
    for (ptrdiff_t i = 0; i < n && x; i++) {
        const fd_real r = (fd_real)x[i];
        eat(1, &r);
    }
}

static void eat_int(int n, const int *x)
{
    for (int i = 0; i < n; i++) eat_double(1, (double[]){ x[i] });
}

/* What was eaten since the last name. A failure of the library, infinity and NaN are failures, and
 * so is nothing at all. */
static void say(const char *kind, const char *name)
{
    char line[32], why[160];
    int i = 0;
    if (starve) return;
    snprintf(line, sizeof line, "%s%s%s", kind, *name ? "-" : "", name);
    if (fd_explain(&st, why, sizeof why)) printf("%s: %s\n", line, why);
    else if (sum == NONE) sound = 0, printf("%s: of nothing\n", line);
    else if (!sound) printf("%s: a number is not finite\n", line);
    else if (!compare) printf("%s %016llx\n", line, (unsigned long long)sum);
    while (i < rows && strcmp(row[i].name, line)) i++;
    const int known = i < rows, same = known && row[i].hash == sum;
    if (known) row[i].seen = 1;
    if (compare && !same && sound && !st.code)
        printf("%s: %016llx, %s\n", line, (unsigned long long)sum,
               known ? "differs" : "not in the file");
    if (st.code || !sound || (compare && !same)) failed++;
    else passed++;
    sum = NONE;
    sound = 1;
    st.code = 0;
}

static fd_real *normals(fd_arena *a, ptrdiff_t n, uint32_t k)
{
    fd_real *x = fd_raw(a, fd_real, n);
    if (x) fd_normal(fd_stream(fd_seed(7), 'h', k), n, x);
    return x;
}

/* ---- Streams, transforms, algebra, spaces, covariances --------------------------------------- */

static void do_streams(fd_arena a)
{
    int p[50];
    float z[4];
    fd_real *x = normals(&a, 1001, 0);
    if (!x) return;
    eat(1001, x), say("normal", "");
    fd_uniform(fd_stream(fd_seed(1), 'x', 2), 77, x);
    eat(77, x), say("uniform", "");
    fd_perm(fd_seed(3), 50, p);
    eat_int(50, p);
    for (int i = 0; i < 50; i++) p[i] = fd_index(fd_seed(4), (uint64_t)i << 33, 1000);
    eat_int(50, p);
    fd_normal4(fd_seed(5), (uint32_t[4]){ 1, 2, 3, 4 }, z);
    for (int i = 0; i < 4; i++) eat_double(1, (double[]){ (double)z[i] });
    say("index", "");
}

static void do_transforms(fd_arena a)
{
    static const char *const name[] = { "c2c", "r2c", "dct1", "dct2", "dct3", "dct4", "dst1",
        "dst2", "dst3", "dst4" };
    static const int n[] = { 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 25,
        32, 37, 44, 48, 64, 77, 96, 121, 128, 210, 251, 256, 509, 512, 1000, 4096 };
    fd_real *x = fd_raw(&a, fd_real, 2 * 5 * 4096);
    fd_cplx *u = fd_raw(&a, fd_cplx, 40 * 6 * 10 * 5);
    if (!u) return;
    for (int kind = FD_C2C; kind <= FD_DST4; say("fft", name[kind++]))
        for (size_t i = 0; i < sizeof n / sizeof *n; i++)
            for (int side = 0; side < 2; side++) {                /* lines, and columns */
                fd_arena b = a;
                const int m = 5 * (kind ? 1 : 2) * n[i];
                fd_normal(fd_seed((uint64_t)n[i]), m, x);
                fd_fft_run(fd_fft_plan(&b, kind, n[i]), side ? 1 : -1, .5, 5, side ? 1 : n[i],
                           side ? 5 : 1, x, b);
                eat(m, x);
            }
    fd_normal(fd_seed(1), 40 * 6 * 10 * 9, x);
    for (int b = 2; b <= 40; b += 38) {
        fd_rfftn(3, (int[]){ 6, 10, 9 }, b, 1, x, u, a), eat(b * 2 * 6 * 10 * 5, (fd_real *)u);
        fd_irfftn(3, (int[]){ 6, 10, 9 }, b, .1, u, x, a), eat(b * 6 * 10 * 9, x);
    }
    say("rfftn", "");
}

static void do_algebra(fd_arena a)
{
    static const int size[][3] = { { 7, 33, 19 }, { 64, 48, 200 }, { 1, 5, 3 }, { 20, 33, 700 },
        { 300, 70, 200 } };
    const fd_real *x = normals(&a, 1 << 16, 1), *y = normals(&a, 1 << 16, 2);
    fd_real *z = normals(&a, 1 << 16, 3);
    double S[400], w[20], V[400];
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 4; k++) {
            const int *n = size[i], ta = k & 1, tb = k >> 1;
            fd_gemm(ta, tb, n[0], n[1], n[2], .5, x, ta ? n[0] : n[2], y, tb ? n[2] : n[1], k % 3,
                    z, n[1], a);
            eat(n[0] * n[1], z);
        }
    fd_gemm_batch(9, 0, 1, 8, 5, 6, 1, x, 6, 48, y, 6, 30, 0, z, 5, 40, a);
    eat(360, z), say("gemm", "");
    for (int i = 0; i < 400; i++) S[i] = 1. / (1 + i / 20 + i % 20) + (i % 21 ? 0 : .1);
    memcpy(V, S, sizeof V);
    fd_cholesky(&st, 20, V);
    fd_solve_lower(20, V, 1, S);
    eat_double(400, V), eat_double(400, S), say("cholesky", "");
    for (int i = 0; i < 400; i++) S[i] = 1. / (1 + i / 20 + i % 20);
    fd_eigen(&st, 20, S, w, V, a);
    eat_double(4, w), say("eigen", "");
}

static double kernel(const double *x, const double *y, const void *prm)
{
    const double r = x[0] - y[0];
    (void)prm;
    return 1 / (1 + 9 * r * r);
}

static void do_spaces(fd_arena a)
{
    static const char *const name[] = { "periodic", "neumann", "dirichlet", "mixed" };
    for (int bc = 0; bc < 4; bc++) {
        fd_arena b = a;
        const int ends[3] = { bc, FD_NEUMANN, FD_PERIODIC };
        const double at[] = { .1, .7, .33, .2, .9, .5 };
        fd_space s = fd_grid(&b, 3, (int[]){ 9, 6, 8 }, (double[]){ 1, 2, .5 }, ends, 2);
        fd_space to = fd_grid(&b, 3, (int[]){ 12, 5, 16 }, (double[]){ 1, 2, .5 }, ends, 2);
        fd_real *x = normals(&b, fd_size(&s), 4), *y = fd_raw(&b, fd_real, fd_size(&to));
        fd_cov *c = fd_cov_matern(&b, &s, 1.5, .3, 1.5);
        double *mu = fd_raw(&b, double, s.modes);
        if (!c || !mu || !y) { say("space", name[bc]); continue; }
        fd_resample(&s, &to, 1, x, y, b), eat(fd_size(&to), y);
        fd_modes_at(&s, 2, at, NULL, y), eat(2 * s.modes, y);
        fd_to_modes(&s, 1, x, x, b), eat(fd_size(&s), x);
        fd_laplace(&s, mu, b), eat_double(s.modes, mu), say("space", name[bc]);
        fd_cov_draw(c, fd_seed(8), 5, 1, x, b), eat(fd_size(&s), x);
        fd_cov_pow(c, -.5, 1, x, x, b), eat(fd_size(&s), x);
        fd_cov_std(c, x, b), eat(s.points, x), say("draw", name[bc]);
    }
}

static double rule(double mu, const void *self) { (void)self; return 1 / (1 + mu * mu); }

static void do_covariances(fd_arena a)
{
    static const char *const name[] = { "white", "rbf", "matern", "exp", "power", "bessel",
        "bridge", "brownian", "function", "kernel", "empirical", "pca" };
    fd_space s[3];
    const fd_real *data = normals(&a, 10 * N, 5);
    fd_real *x = fd_raw(&a, fd_real, B * N);
    for (int i = 0; i < 3; i++)
        s[i] = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ i == 2 ? FD_MIXED : i }, 1);
    const fd_space dirichlet = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_DIRICHLET }, 1);
    const fd_cov *const c[] = { fd_cov_white(&a, s, 1, 7), fd_cov_rbf(&a, s, 1, .1),
        fd_cov_matern(&a, s + 1, 1, .2, 2), fd_cov_exp(&a, s, 2, .3),
        fd_cov_power(&a, s, 8, 7, 2.5), fd_cov_bessel(&a, s + 1, 8, 7, 1.2),
        fd_cov_bridge(&a, &dirichlet, 1), fd_cov_brownian(&a, s + 2, 1),
        fd_cov_function(&a, s, rule, NULL), fd_cov_kernel(&a, s + 1, kernel, NULL),
        fd_cov_empirical(&a, s, 10, data, 1e-3, NULL), fd_cov_pca(&a, s, 10, data, 4, NULL) };
    for (int i = 0; i < 12; say("cov", name[i++])) {
        if (!c[i]) continue;
        fd_cov_draw(c[i], fd_seed(9), 0, B, x, a);
        eat(B * N, x), eat_double(1, (double[]){ fd_cov_pixel(c[i]) });
    }
}

/* ---- Processes, models, samplers ------------------------------------------------------------- */

typedef struct {                                     /* what most of the rest begins with */
    fd_space s;
    fd_cov *noise, *data, *other;
    fd_real *mean, *x, *xi;                          /* [2], [B], [B] functions */
    fd_process p;
    fd_model gauss;
    double t[9];
} kit;

static kit kit_new(fd_arena *a)
{
    kit k = { .s = fd_grid(a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1) };
    k.noise = fd_cov_matern(a, &k.s, 1, .2, 1);
    k.data = fd_cov_rbf(a, &k.s, 1, .3);
    k.other = fd_cov_matern(a, &k.s, .5, .1, 2);
    k.mean = normals(a, 2 * N, 6);
    k.x = normals(a, B * N, 7);
    k.xi = normals(a, B * N, 13);
    fd_cov_pow(k.noise, .5, 2, k.mean, k.mean, *a);
    fd_cov_pow(k.noise, .5, B, k.x, k.x, *a);
    fd_cov_pow(k.noise, .5, B, k.xi, k.xi, *a);
    k.p = fd_vp(k.noise, .1, 20);
    return k;
}

static void kit_on(fd_arena *a, kit *k)               /* of a kit where it stays */
{
    k->gauss = fd_oracle_gauss(a, &k->p, k->mean, k->data);
    fd_times(&k->p, FD_LOGSNR, 0, 8, k->t, &st);
}

static void do_processes(fd_arena a)
{
    static const char *const name[] = { "ou", "vp", "vp-cosine", "subvp", "ve", "driftless", "flow",
        "flow-vp", "ladder", "fdp", "heat", "heat-cosine", "blur", "chain" };
    kit k = kit_new(&a);
    double beta[20], t[13];
    fd_beta_schedule(FD_BETA_COSINE, 20, 0, 0, beta, &st);
    const fd_process base = fd_flow_vp(k.noise, 0);
    const fd_process p[14] = { fd_ou(k.noise, 8), k.p, fd_vp_cosine(k.noise),
        fd_subvp(k.noise, .1, 20), fd_ve(k.noise, .01, 50), fd_driftless(k.noise, 9),
        fd_flow(k.noise, 1e-3), fd_flow_vp(k.noise, .08), fd_ladder(k.noise, .01, 30, 50),
        fd_fdp(&a, k.noise, .1, 10, NULL),
        fd_heat(k.noise, 1, .1, NULL, NULL, 2), fd_heat_cosine(k.noise, 1, .01),
        fd_blur(&base, .01, .1), fd_ddpm_betas(&a, k.noise, 20, beta) };
    fd_real *x = fd_raw(&a, fd_real, B * N);
    for (int i = 0; i < 14; say("process", name[i++])) {
        fd_times(p + i, i == 13 ? FD_UNIFORM : FD_RHO, 0, 12, t, &st);
        eat_double(13, t);
        for (int j = 0; j < 12; j++)
            for (int mode = 0; mode < N; mode += 5) {
                const fd_coef c = fd_law(p + i, t[j], mode);
                const double s = (t[j] + t[j + 1]) / 2;
                const fd_row r = fd_step_row(p + i, FD_DDIM, .5, t[j], s, mode, &st);
                eat_double(6, (double[]){ c.m, c.v, c.dv, r.ax, r.aD, r.sd });
            }
        fd_perturb(p + i, fd_seed(1), 0, B, k.x, t + 3, x, NULL, a);
        eat(B * N, x);
    }
}

static void do_models(fd_arena a)
{
    static const char *const name[] = { "gauss", "mix", "kernel", "data", "precond" };
    kit k = kit_new(&a);
    kit_on(&a, &k);
    const double at[B] = { .9, .5, .1 }, w[] = { .3, .7 };
    const fd_cov *const both[] = { k.data, k.other };
    const fd_cov *own = fd_cov_kernel(&a, &k.s, kernel, NULL);
    const fd_precond *pre = fd_precond_new(&a, &k.p, k.mean, k.data);
    const fd_model m[5] = { k.gauss, fd_oracle_mix(&a, &k.p, 2, w, k.mean, both),
        fd_oracle_kernel(&a, &k.p, k.mean, own), fd_oracle_data(&a, &k.p, 2, k.mean),
        fd_precond_model(&a, pre, k.gauss) };
    fd_real *y = fd_raw(&a, fd_real, B * N);
    for (int i = 0; i < 5; say("model", name[i++]))
        for (int kind = FD_X0; kind <= FD_VELOCITY; kind++) {
            fd_predict(m + i, kind, &k.p, B, k.x, at, y, a), eat(B * N, y);
            if (!m[i].vjp || !m[i].eval) continue;
            m[i].vjp(m[i].self, &k.s, B, k.x, at, k.x, y, a), eat(B * N, y);
        }
}

static void sample(const fd_sampler *how, const char *kind, const char *name, fd_arena a)
{
    fd_real *x = fd_raw(&a, fd_real, B * N);
    fd_sample(how, fd_seed(11), 0, B, x, a);
    eat(B * N, x), say(kind, name);
}

static void do_samplers(fd_arena a)
{
    static const char *const name[] = { "", "scaled", "ladder", "snr", "snr-grid" };
    kit k = kit_new(&a);
    kit_on(&a, &k);
    fd_sampler how = { .p = &k.p, .model = k.gauss, .t = k.t, .steps = 8, .eta = .7, .denoise = 1,
        .cprm = .1 };
    const fd_process ve = fd_ve(k.noise, .01, 9), vp = fd_vp(k.noise, .1, 7);
    for (; how.scheme < FD_SCHEMES; how.scheme++) {            /* two want a process of their own */
        const int own = how.scheme == FD_VE_PREDICTOR ? 1 : how.scheme == FD_VP_PREDICTOR ? 2 : 0;
        how.p = own == 1 ? &ve : own ? &vp : &k.p;
        how.model = own ? fd_oracle_gauss(&a, how.p, k.mean, k.data) : k.gauss;
        how.corrector = how.scheme == FD_ANNEALED ? FD_CORRECT_SCALED : FD_CORRECT_NONE;
        fd_times(how.p, own ? FD_UNIFORM : FD_LOGSNR, 0, 8, k.t, &st);
        sample(&how, "scheme", fd_scheme_name(how.scheme), a);
    }
    how.p = &k.p, how.model = k.gauss, how.scheme = FD_DDIM, how.corrector = FD_CORRECT_SCALED;
    for (; how.corrector <= FD_CORRECT_SNR_GRID; how.corrector++) {
        how.cprm = how.corrector == FD_CORRECT_LADDER ? 1e-6 : .1;
        sample(&how, "correct", name[how.corrector], a);
    }
    how.corrector = 0;
    how.mean = k.mean, how.cov = k.data, how.start = FD_START_MATCHED, how.churn = .2;
    sample(&how, "churn", "", a);
    const fd_process fdp = fd_fdp(&a, k.noise, .1, 10, NULL);
    const fd_process heat = fd_heat(k.noise, 1, 1e-3, NULL, NULL, 2);
    how = fd_fdp_sampler(&fdp, fd_oracle_gauss(&a, &fdp, NULL, k.data), 8, .5, .1, 0, k.t, &st);
    sample(&how, "fdp", "", a);
    how = (fd_sampler){ .p = &heat, .model = fd_oracle_gauss(&a, &heat, NULL, k.data), .t = k.t,
        .steps = 8, .scheme = FD_EXPONENTIAL };
    fd_times(&heat, FD_UNIFORM, 0, 8, k.t, &st);
    sample(&how, "heat", "", a);
    const fd_cov *const ends[] = { k.data, k.other };
    const fd_mix from = { 2, NULL, k.mean, ends }, to = { 1, NULL, NULL, ends };
    const fd_interpolant path = { k.noise, NULL, NULL, NULL, NULL, .5 };
    const fd_model u = fd_oracle_interpolant_mix(&a, &path, FD_VELOCITY, &from, &to);
    const fd_model e = fd_oracle_interpolant_mix(&a, &path, FD_NOISE, &from, &to);
    for (int i = 1; i < 9; i++)
        fd_interpolant_step(&path, &u, &e, .3, i * .1, (i + 1) * .1, B, k.x, k.xi, a);
    eat(B * N, k.x), say("interpolant", "");
}

static void do_densities(fd_arena a)
{
    kit k = kit_new(&a);
    kit_on(&a, &k);
    double logp[B], part[3 * B], var[N];
    const fd_sampler how = { .p = &k.p, .model = fd_oracle_gauss(&a, &k.p, k.mean, k.other),
        .t = k.t, .steps = 8, .scheme = FD_PF_HEUN };
    fd_loglik(&how, 0, fd_seed(1), 0, B, k.x, logp, a), eat_double(B, logp);
    fd_loglik(&how, 2, fd_seed(1), 0, B, k.x, logp, a), eat_double(B, logp), say("loglik", "");
    fd_elbo(&how, 1, fd_seed(1), 0, B, k.x, logp, part, a), eat_double(3 * B, part);
    say("elbo", "");
    fd_start_law(&how, NULL, var, a), fd_exact_law(&how, NULL, var, a);
    eat_double(N, var), say("exact-law", "");
    eat_double(1, (double[]){ fd_energy_distance(&k.s, B, k.x, 2, k.mean) });
    eat_double(1, (double[]){ fd_mmd2(&k.s, B, k.x, 2, k.mean, 0, a) });
    eat_double(1, (double[]){ fd_sliced_w2(&k.s, fd_seed(1), 9, B, k.x, 2, k.mean, a) });
    eat_double(1, (double[]){ fd_crps(&k.s, B, k.x, k.mean, a) }), say("metrics", "");
}

/* ---- Posteriors, chains, bridges, policies --------------------------------------------------- */

static const double places[] = { .12, .35, .5, .9 }, seen[] = { 1, -.4, .2, .8 };

static void cube(const void *self, const fd_space *s, int b, const fd_real *x, double *y,
                 fd_arena a)
{
    (void)self, (void)a;
    for (int i = 0; i < 4 * b; i++) {
        const double v = (double)x[i / 4 * s->points + 5 * (i % 4)];
        y[i] = v + .1 * v * v * v;
    }
}

static void do_posteriors(fd_arena a)
{
    static const char *const rules[] = { "", "exact", "pigdm", "dps" };
    kit k = kit_new(&a);
    kit_on(&a, &k);
    fd_obs o = fd_obs_points(&a, &k.s, 4, places, NULL);
    fd_obs_noise(&a, &o, .1);
    fd_real *x = normals(&a, 8 * N, 8);
    double e[4 * B] = { .1, .2, .3 };
    const fd_posterior *exact = fd_posterior_new(&a, k.mean, k.data, &o, seen);
    fd_posterior_draw(exact, fd_seed(2), 0, B, x, a), eat(B * N, x);
    fd_posterior_std(exact, x, a), eat(N, x);
    eat_double(1, exact ? &exact->evidence : NULL), say("posterior", "");
    fd_sampler how = { .p = &k.p, .t = k.t, .steps = 8, .scheme = FD_DDIM, .eta = .5 };
    fd_guide g = { .p = &k.p, .model = k.gauss, .o = &o, .y = seen };
    const fd_cov *const both[] = { k.data, k.other };
    how.model = fd_oracle_posterior(&a, &k.p, 2, (double[]){ .4, .6 }, k.mean, both, &o, seen);
    sample(&how, "guide", "oracle", a);
    for (g.rule = FD_GUIDE_EXACT; g.rule <= FD_GUIDE_DPS; g.rule++) {
        how.model = fd_guided(&a, &g);
        sample(&how, "guide", rules[g.rule], a);
    }
    how.model = fd_free_guided(&a, &k.p, k.gauss, fd_oracle_gauss(&a, &k.p, NULL, k.other), 1.5);
    sample(&how, "guide", "free", a);
    const fd_gain *gain = fd_gain_new(&a, &o, k.noise, NULL);
    double y[4 * B];
    for (int i = 0; i < 4 * B; i++) y[i] = seen[i % 4];
    how.model = k.gauss;
    fd_run *run = fd_begin(&a, &how, fd_seed(3), 0, B);
    while (fd_step(run, a)) fd_project(gain, B, y, run->x, e, a);
    eat(B * N, run ? run->x : NULL), eat_double(4 * B, e), say("project", "");
    g.rule = FD_GUIDE_PIGDM;
    fd_particles *many = fd_particles_begin(&a, &how, &g, fd_seed(4), 8);
    while (fd_particles_step(many, a)) { }
    eat(8 * N, many ? many->run->x : NULL), say("particles", "");
    k.t[4] = fd_time_at(&k.p, .5), how.t = k.t + 4, how.steps = 4;
    if (!x || !k.x) return;
    memcpy(x, k.x, B * N * sizeof *x);
    fd_split_gibbs(&how, gain, seen, .5, fd_seed(5), 0, B, x, a), eat(B * N, x);
    say("split-gibbs", "");
    const fd_released old = { { .p = &k.p, .model = k.gauss, .t = k.t, .steps = 8 }, &o, seen,
        FD_FUNDPS, .5 };
    for (int i = 2; i < 6; i++) fd_released_step(&old, i, B, x, a);
    eat(B * N, x), say("released", "");
    fd_obs f = { .s = k.s, .m = 4, .apply = cube };
    fd_obs_noise(&a, &f, .2);
    x = normals(&a, 8 * N, 9);
    for (int i = 0; i < 3; i++) fd_esmda(&f, seen, 3, fd_seed((uint64_t)i), 8, x, a);
    eat(8 * N, x), say("es-mda", "");
}

static void do_chains(fd_arena a)
{
    static const char *const name[] = { "", "pcn", "mala", "hmc", "slice", "walk" };
    kit k = kit_new(&a);
    kit_on(&a, &k);
    fd_obs o = fd_obs_points(&a, &k.s, 4, places, NULL);
    fd_obs_noise(&a, &o, .1);
    const fd_potential phi = fd_obs_potential(&a, &o, seen);
    fd_real *x = fd_raw(&a, fd_real, N);
    for (int kind = FD_MCMC_PCN; kind <= FD_MCMC_WALK; say("chain", name[kind++])) {
        const fd_mcmc how = { .prior = k.noise, .phi = phi, .kind = kind, .h = .1, .leaps = 3,
            .adapt = 10 };
        fd_chain *c = fd_chain_begin(&a, &how, fd_seed(6), 0, NULL);
        for (int i = 0; i < 30; i++) fd_chain_step(c, a);
        fd_chain_get(c, x), eat(N, x);
        eat_double(1, c ? &c->phi : NULL);
    }
    for (int i = 0; i < 5; i++) fd_langevin(&k.p, &k.gauss, &phi, .3, 1e-3, 1, B, k.x, k.xi, a);
    eat(B * N, k.x), say("langevin", "");
    double w[N - 1];
    const fd_levy levy = { FD_LEVY_STUDENT, 1, .1, 3, 0 };
    const fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, NULL, 1);
    fd_obs pick = fd_obs_pick(&a, &s, 4, (ptrdiff_t[]){ 3, 9, 20, 30 });
    fd_obs_noise(&a, &pick, .1);
    for (int i = 0; i < N - 1; i++) w[i] = .01;
    for (int i = 0; i < 4; i++) fd_levy_sweep(&levy, &pick, seen, fd_seed(7), (uint32_t)i, w, x, a);
    eat(N, x), eat_double(N - 1, w), say("levy", "");
}

static void do_bridges(fd_arena a)
{
    kit k = kit_new(&a);
    const fd_linear l = fd_linear_heat(&a, k.noise, .01, .2, 1.5);
    fd_obs o = fd_obs_points(&a, &k.s, 4, places, NULL);
    fd_obs_noise(&a, &o, .1);
    const fd_rng r = fd_seed(12);
    fd_real *path = fd_raw(&a, fd_real, B * 9 * N), *end = fd_raw(&a, fd_real, B * N);
    fd_bridge_path(&l, 8, r, 0, 1, k.x, k.mean, path, a), eat(9 * N, path), say("bridge", "");
    fd_bridge_end(&l, .5, &o, seen, &r, 0, B, k.x, end, a), eat(B * N, end);
    fd_bridge_drift(&l, .5, B, k.x, end, end, a), eat(B * N, end);
    eat_double(1, (double[]){ fd_control_value(&l, 0, &o, seen, k.x, a) }), say("bridge", "end");
    fd_semilinear_step(&l, .2, .4, B, end, k.x, NULL, a), eat(B * N, end), say("semilinear", "");

    enum { P = 4, L = 4 };
    const double centre[2 * L] = { 0, 0, 1, 0, 0, 1, 1, 1 };
    double from[2 * P], to[2 * P], t[9], z[8 * 2 * L], walk[9 * 2 * P], logw, G[4 * P * P] = { 0 };
    for (int i = 0; i < 2 * P; i++)
        from[i] = .1 * (i * 7 % 10), to[i] = from[i] + .1, G[i * (2 * P + 1)] = .01;
    for (int i = 0; i < 9; i++) t[i] = i / 8.;
    const fd_shapes shape = { P, 2, L, centre, .3, .5, 0, 0, 1, from };
    const fd_system e = fd_kunita(&a, &shape);
    fd_real *xi = normals(&a, 8 * 2 * L, 10);
    for (int i = 0; i < 8 * 2 * L && xi; i++) z[i] = (double)xi[i];
    memcpy(walk, from, sizeof from);
    const fd_proposal how = { .e = &e, .steps = 8, .t = t, .end = to, .gamma = G,
        .weight = FD_PROPOSAL_INTEGRAL };
    fd_proposal *g = fd_proposal_new(&a, &how);
    fd_proposal_path(g, 1, z, walk, &logw, a);
    for (uint32_t i = 0; i < 3; i++) fd_proposal_move(g, .3, fd_seed(13), i, z, walk, &logw, a);
    eat_double(9 * 2 * P, walk), eat_double(1, &logw), say("proposal", "");
}

static void do_policies(fd_arena a)
{
    kit k = kit_new(&a);
    kit_on(&a, &k);
    double ratio[2], adv[5], r[5] = { 1, 3, -2, .5, 0 };
    fd_real *y = fd_raw(&a, fd_real, 2 * N);
    fd_advantages(5, r, 1.2, adv, &st), eat_double(5, adv);
    fd_reward_weights(5, r, .5, adv, &st), eat_double(5, adv), say("rewards", "");
    fd_policy_ratio(k.noise, .7, 2, k.mean, k.x, k.x + N, ratio, NULL, a), eat_double(2, ratio);
    fd_policy_pull(k.noise, .7, 1, 2, k.mean, k.x, y, a), eat(2 * N, y), say("policy", "");
    fd_model now = fd_oracle_gauss(&a, &k.p, NULL, k.other);
    const fd_sampler how = { .p = &k.p, .model = fd_policy_model(&a, &k.p, k.gauss, now, .5),
        .t = k.t, .steps = 8, .scheme = FD_ANCESTRAL_OPTIMAL };
    sample(&how, "policy", "sample", a);
}

/* ---- Networks: forward, and after five steps of an optimiser --------------------------------- */

#define NET(k, d) .in = 1, .out = 1, .embed = 8, .tscale = 1, .kind = k, .nd = d
#define PLANE .grid = { 8, 8 }, .vit.patch = { 2, 2 }
static const struct { const char *name; int n[2]; fd_arch arch; } net[] = {
    { "fno", { N }, { NET(FD_FNO_ORIGINAL, 1), .width = 20, .layers = 2, .time = FD_TIME_CHANNEL,
        .coords = FD_COORD_OPEN, .fno = { .modes = { 7 }, .proj = 24 } } },
    { "fno-block", { 12, 10 }, { NET(FD_FNO_BLOCK, 2), .width = 7, .layers = 2,
        .time = FD_TIME_FILM, .fno = { .modes = { 6, 5 }, .lift = 9, .proj = 8 } } },
    { "fno-mix", { 12, 10 }, { NET(FD_FNO_BLOCK, 2), .width = 6, .layers = 2, .grid = { 12, 10 },
        .act = FD_SILU,
        .fno = { .modes = { 4, 4 }, .lift = -1, .mix = 4, .norms = 2, .stencil = 3,
                 .pad = { .1 } } } },
    { "vit", { 8, 12 }, { NET(FD_VIT, 2), .width = 24, .layers = 2, .grid = { 8, 12 },
        .time = FD_TIME_TOKEN,
        .vit = { .heads = 3, .mlp = 20, .patch = { 2, 3 }, .qkv_bias = 1 } } },
    { "uvit", { 8, 8 }, { NET(FD_UVIT, 2), PLANE, .width = 16, .layers = 3, .time = FD_TIME_TOKEN,
        .vit.heads = 2, .vit.pos = FD_POS_LEARNED } },
    { "siren", { 8, 8 }, { NET(FD_SIREN, 2), .width = 9, .layers = 2, .time = FD_TIME_CHANNEL,
        .inr = { .omega = 3, .mod = FD_MOD_SCALE, .latent = 3, .inner = 2 } } },
    { "gabor", { N }, { NET(FD_GABOR, 1), .width = 9, .layers = 3, .inr.omega = 2,
        .time = FD_TIME_CHANNEL } },
    { "uno", { 12, 8 }, { NET(FD_UNO, 2), .width = 4, .time = FD_TIME_FILM,
        .fno = { .modes = { 5, 4 }, .lift = 6, .proj = 5 }, .u = { .levels = 2, .rank = .5 } } },
    { "fno-unet", { 12, 8 }, { NET(FD_FNO_UNET, 2), .width = 4, .layers = 1, .u.levels = 2,
        .time = FD_TIME_FILM, .fno = { .modes = { 6, 4 }, .groups = 2 } } },
    { "separable", { N }, { NET(FD_FNO_SEPARABLE, 1), .width = 8, .layers = 2,
        .time = FD_TIME_TOKEN, .clock = FD_CLOCK_RANDOM,
        .fno = { .modes = { 6 }, .groups = 2, .mlp = 9, .proj = 5 } } },
    { "points", { N }, { NET(FD_POINTS, 1), .width = 8, .layers = 2, .time = FD_TIME_FILM,
        .vit = { .heads = 2, .mlp = 6 }, .points = { .waves = { 3 }, .latent = 4, .pixels = 1 } } },
    { "vit-field", { 8, 8 }, { NET(FD_VIT, 2), PLANE, .width = 8, .layers = 1,
        .time = FD_TIME_TOKEN, .vit.heads = 2, .vit.mlp = 5,
        .field = { .kind = FD_SIREN, .width = 6, .layers = 2, .pool = 2 },
        .inr = { .latent = 3, .omega = 2 } } },
};

static void do_maps(fd_arena a)
{
    fd_real *x = normals(&a, 100, 13), g[100];
    for (int f = FD_EXP; f < FD_MAPS; f++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *u = fd_param(&t, 1, (int[]){ 100 }, x, g);
        fd_var *v = fd_affine(&t, fd_map(&t, u, FD_SQUARE), 1, .1);
        fd_var *y = fd_softmax(&t, fd_map(&t, f > FD_SQUARE ? u : v, f));
        memset(g, 0, sizeof g);
        fd_backward(&t, fd_mul(&t, y, y)), eat(100, y ? y->x : NULL), eat(100, g);
        fd_tape_end(&t);
    }
    say("maps", "");
}

static void do_network(size_t i, fd_arena mem)
{
    const fd_arch *arch = &net[i].arch;
    const double time[2] = { .25, .75 };
    const fd_space s = fd_grid(&mem, arch->nd, net[i].n, NULL, NULL, 1);
    fd_net *f = fd_net_new(&mem, arch, fd_seed(20 + i));
    fd_adam how = fd_adam_default((int)i % 3);
    how.clip = 1, how.decay = .01;
    fd_opt *opt = fd_opt_new(&mem, f, &how);
    const fd_real *x = normals(&mem, 2 * s.points, 11), *y = normals(&mem, 2 * s.points, 12);
    const int shape[3] = { 2, 1, (int)s.points };
    for (int k = 0; k <= 5 && f; k++) {
        fd_tape t = fd_tape_begin(&mem, k ? arch->inr.inner ? FD_GRAD2 : FD_GRAD : FD_EVAL);
        fd_var *out = fd_forward(f, &t, &s, fd_input(&t, 3, shape, x), time);
        if (k) fd_backward(&t, fd_mse_loss(&t, &s, out, y, NULL)), fd_opt_step(opt, f, &st);
        else eat(out ? fd_count(out) : 0, out ? out->x : NULL), say("net", net[i].name);
        fd_tape_end(&t);
    }
    if (f && opt) eat(f->count, f->w), eat(f->count, opt->avg);
    say("adam", net[i].name);
}

static void do_networks(fd_arena a)
{
    for (size_t i = 0; i < sizeof net / sizeof *net; i++) do_network(i, a);
}

static void (*const groups[])(fd_arena) = { do_streams, do_transforms, do_algebra, do_spaces,
    do_covariances, do_processes, do_models, do_samplers, do_densities, do_posteriors,
    do_chains, do_bridges, do_policies, do_maps, do_networks };

int main(int argc, char **argv)
{
    enum { SIZE = 1 << 26 };
    FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
    char *mem = malloc(SIZE);
    if (!mem || (argc > 1 && !f)) return fprintf(stderr, "hash: no memory, or no %s\n", argv[1]), 2;
    compare = f != NULL;
    while (f && rows < ROWS && fscanf(f, "%31s %llx", row[rows].name, &row[rows].hash) == 2) rows++;
    sum = NONE;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        groups[i](fd_arena_over(mem, SIZE, &st));
    for (int i = 0; i < rows; i++) {
        if (!row[i].seen) printf("%s: not computed\n", row[i].name), failed++;
        for (int j = 0; j < i; j++)                 /* one of them does not compute what it names */
            if (row[i].hash == row[j].hash)
                printf("%s: the hash of %s\n", row[i].name, row[j].name), failed++;
    }
    if (compare || failed) printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
