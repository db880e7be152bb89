/* starve.c -- what happens where memory ends: make starve. Everything that hash.c computes, files
 * of every kind written and read, checkpoints and foreign weights, is done once with all the memory
 * that it wants, and then again and again so that in turn each one of the pieces that it takes from
 * its arena cannot be had. Each time it must end with FD_ENOMEM, or, where it can do without the
 * piece, with the same numbers; the compiler's sanitizers see what is touched besides. Then files
 * are written and read while in turn each call of the system fails: FD_EIO, the old file as it was,
 * nothing left beside it. Built with starve.h. `starve [prefix] [most]`: the tasks whose name
 * starts so; where there are more pieces than `most`, every so many, which are `most` of them or up
 * to twice as many. Ends with `N passed, N failed`. */
#include "read.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#define main hash_main
#include "hash.c"
#undef main

long starve_left;
enum { SIZE = 1 << 26 };
static long good, bad;

/* ---- The system ------------------------------------------------------------------------------ */

static long disk_left;                     /* calls until one fails; 0: none does */
static int disk_taken, disk_unmapped;      /* every name of a new file is; no file can be mapped */
static int disk_unsynced;                  /* errno where there is no fsync for a file; or 0 */

int disk_fails(void)
{
    if (!disk_left || --disk_left) return 0;
    errno = EIO;
    return 1;
}

/* The linker (--wrap) puts __wrap_f in the place of f, which is __real_f. What frees is done all
 * the same. */
#define WRAP(type, f, takes, gives, otherwise) \
    type __real_##f takes; type __wrap_##f takes; \
    type __wrap_##f takes { return disk_fails() ? otherwise : __real_##f gives; }
WRAP(FILE *, fopen, (const char *path, const char *how), (path, how), NULL)
WRAP(FILE *, fdopen, (int fd, const char *how), (fd, how), NULL)
WRAP(int, fseek, (FILE *f, long at, int from), (f, at, from), -1)
WRAP(long, ftell, (FILE *f), (f), -1)
WRAP(size_t, fread, (void *p, size_t size, size_t n, FILE *f), (p, size, n, f), 0)
WRAP(size_t, fwrite, (const void *p, size_t size, size_t n, FILE *f), (p, size, n, f), 0)
WRAP(int, fflush, (FILE *f), (f), EOF)
WRAP(int, fclose, (FILE *f), (f), (__real_fclose(f), EOF))
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)

int __real_fsync(int fd), __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    if (disk_unsynced) return errno = disk_unsynced, -1;
    return disk_fails() ? -1 : __real_fsync(fd);
}

int __real_open(const char *path, int how, ...), __wrap_open(const char *path, int how, int may);
int __wrap_open(const char *path, int how, int may)
{
    if (disk_taken) return errno = EEXIST, -1;
    return disk_fails() ? -1 : __real_open(path, how, may);
}

void *__real_mmap(void *p, size_t n, int may, int how, int fd, off_t at);
void *__wrap_mmap(void *p, size_t n, int may, int how, int fd, off_t at);
void *__wrap_mmap(void *p, size_t n, int may, int how, int fd, off_t at)
{
    return disk_unmapped ? MAP_FAILED : __real_mmap(p, n, may, how, fd, at);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static const char *scratch_path(const char *name)
{
    static char path[8][128];
    static int k;
    char *p = path[k++ & 7];
    snprintf(p, sizeof *path, "/dev/shm/starve-%ld-%s", (long)getpid(), name);
    return p;
}

static void eat_tensors(const fd_tensors *f)
{
    for (int i = 0; i < f->count; i++) {
        ptrdiff_t n = 1;
        for (int d = 0; d < f->tensor[i].nd; d++) n *= f->tensor[i].n[d];
        eat(n, f->tensor[i].x);
    }
}

static void do_files(fd_arena a)
{
    const int n[2] = { 3, 5 };
    const char *path[5] = { "a.npy", "a.npz", "a.safetensors", "a.png", "a.csv" };
    for (int i = 0; i < 5; i++) path[i] = scratch_path(path[i]);
    fd_real *x = normals(&a, 15, 1);
    fd_tensor t[2] = { { "x", 2, { 3, 5 }, x, NULL }, { "y", 1, { 15 }, x, NULL } };
    fd_meta m = { "key", "value" };
    const fd_tensors f = { 2, 1, t, &m, 0, NULL };
    fd_npy_save(&st, path[0], 2, n, x);
    const fd_array y = fd_load(&a, path[0]);
    if (y.x) eat(15, y.x);
    fd_npz_save(&st, path[1], &f);
    const fd_tensors z = fd_tensors_load(&a, path[1]);
    eat_tensors(&z);
    fd_tensors_save(&st, path[2], &f);
    const fd_tensors s = fd_tensors_load(&a, path[2]);
    eat_tensors(&s);
    fd_png_sheet(&st, path[3], 1, 1, 3, 5, x, -1, 1, FD_VIRIDIS, 2, a);
    fd_csv_save(&st, path[4], 1, (const char *const[]){ "v" }, 2, (const double[]){ 1, 2 });
    for (int i = 0; i < 5; i++) remove(path[i]);
}

static void do_checkpoints(fd_arena a)
{
    for (size_t i = 0; i < sizeof net / sizeof *net; i++) {
        fd_arena mem = a;
        const char *path = scratch_path("net.safetensors");
        fd_net *f = fd_net_new(&mem, &net[i].arch, fd_seed(i)), *again = NULL;
        fd_opt *opt = fd_opt_new(&mem, f, NULL), *more = NULL;
        fd_net_save(&st, path, f, i % 2 ? opt : NULL, NULL, mem);
        fd_net_load(&mem, path, &again, &more);
        if (again) eat(again->count, again->w);
        if (more) eat(again->count, more->avg);
        if (!again != !!st.code) bad++, printf("a network and an error, or neither\n");
        remove(path);
    }
}

static void do_foreign(fd_arena a)
{
    static const struct { const char *name; fd_foreign how; } files[] = {
        { "fno3.safetensors", { .act = 0 } }, { "operator02cp.safetensors", { .act = 0 } },
        { "operator1.safetensors", { .version = 1 } },
        { "operator2tucker.safetensors", { .act = 0 } },
        { "operator2norm.safetensors", { .norms = 2 } },
        { "operator03mlp.safetensors", { .norms = -1, .skip = 1, .mix_skip = 1 } },
        { "uvit.safetensors", { .heads = 2 } } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        fd_arena mem = a;
        snprintf(path, sizeof path, "tests/data/%s", files[i].name);
        const fd_tensors f = fd_tensors_load(&mem, path);
        const fd_net *g = fd_net_from(&mem, &f, &files[i].how);
        if (g) eat(g->count, g->w);
    }
}

/* the tool's readers; pictures have an arena of their own, which does not starve here */
static void read_some(int pictures, fd_arena a)
{
    static const char *const names[] = { "x.npy", "x.npy.gz", "deflated.npz:c8", "packed.mat:c",
        "x.pt:model.turned", "x.safetensors:F64", "plain.mat:c", "x.idx.gz", "jpeg", "rgb" };
    const size_t all = sizeof names / sizeof *names;
    for (size_t i = 0; i < all - (pictures ? 0 : 2); i++) {
        char path[64];
        fd_arena mem = a;
        fd_real *x = fd_raw(&mem, fd_real, 4096);
        snprintf(path, sizeof path, "tests/data/read/%s", names[i]);
        source f = source_open(&mem, path);
        const ptrdiff_t n = st.code || !x ? 0 : source_slab(&f);
        if (n > 0 && n <= 4096) source_read(&f, 0, 1, x, mem);
        if (!st.code && x) eat(n <= 4096 ? n : 0, x);
        source_close(&f);
    }
}

static void do_reading(fd_arena a) { read_some(0, a); }

/* ---- What hash.c does not compute ------------------------------------------------------------ */

static void do_losses(fd_arena a)
{
    kit k = kit_new(&a);
    kit_on(&a, &k);
    const double t[B] = { .9, .5, .1 }, r[B] = { .2, .1, .05 };
    fd_real *y = fd_raw(&a, fd_real, 2 * B * N);
    if (!y || !k.x) return;
    fd_average_velocity(&k.p, k.mean, k.data, B, t, r, k.x, y, a), eat(B * N, y);
    const fd_precond *pre = fd_precond_new(&a, &k.p, k.mean, k.data);
    fd_precond_pair(pre, B, k.x, k.xi, t, y, y + B * N, a), eat(2 * B * N, y);
    fd_model m = fd_precond_model(&a, pre, k.gauss);
    if (m.eval) m.eval(m.self, &k.s, B, k.x, t, y, a), eat(B * N, y);
    if (m.vjp) m.vjp(m.self, &k.s, B, k.x, t, k.xi, y, a), eat(B * N, y);
    for (int norm = FD_NORM_H; norm < FD_NORM_STEP; norm++) {
        memcpy(y, k.x, B * N * sizeof *y);
        fd_loss_weigh(&k.p, norm, .5, FD_X0, B, t, y, a), eat(B * N, y);
        const fd_cov *c = fd_loss_norm(&a, &k.p, norm, .5, FD_X0, .3);
        eat_double(N, c ? c->lam : NULL);
        const fd_time_law *law = fd_time_law_new(&a, &k.p, k.data, norm, .5, FD_X0);
        double at[2 * B] = { 0 };
        if (law) fd_time_draw(law, fd_seed(3), 0, B, at, at + B), eat_double(2 * B, at);
    }
    const fd_interpolant path = { k.noise, NULL, NULL, NULL, NULL, .5 };
    fd_interpolant_target(&path, FD_VELOCITY, B, k.x, k.xi, k.x, t, y, a), eat(B * N, y);
    fd_sampler how = { .p = &k.p, .model = k.gauss, .t = k.t, .steps = 8, .scheme = FD_PF_HEUN,
        .corrector = FD_CORRECT_SNR, .cprm = .1 };
    fd_advance(&how, .5, .4, B, k.x, NULL, NULL, a), eat(B * N, k.x);
    fd_correct(&how, .4, B, k.x, k.xi, NULL, a), eat(B * N, k.x);
    const fd_potential latent = fd_latent_potential(&a, &(fd_sampler){ .p = &k.p, .model = k.gauss,
        .t = k.t, .steps = 8, .scheme = FD_DDIM }, &(fd_potential){ NULL, NULL });
    eat_double(1, (double[]){ latent.value != NULL });
    eat_double(1, (double[]){ fd_score_power(&k.p, k.data, NULL, .3, a) });
}

static void do_moves(fd_arena a)
{
    kit k = kit_new(&a);
    kit_on(&a, &k);
    double mul[N], y[4 * B], e[4 * B], z[N] = { 0 };
    for (int i = 0; i < N; i++) mul[i] = 1. / (1 + i);
    for (int i = 0; i < 4 * B; i++) y[i] = seen[i % 4], e[i] = .1 * i;
    const fd_space few = fd_grid(&a, 1, (int[]){ 8 }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_obs o = fd_obs_points(&a, &k.s, 4, places, NULL), blur = fd_obs_modal(&a, &k.s, mul);
    fd_obs coarse = fd_obs_coarse(&a, &k.s, &few), quiet = o;
    fd_obs_noise_each(&a, &o, (double[]){ .1, .2, .3, .4 });
    fd_obs_noise(&a, &blur, .1), fd_obs_noise(&a, &coarse, .1);
    fd_real *x = fd_raw(&a, fd_real, B * N), *d = normals(&a, B * N, 21);
    double *seen_all = fd_new(&a, double, N);
    if (!d || !seen_all || !k.x || !x || st.code) return;
    memcpy(x, k.x, B * N * sizeof *x);
    const fd_obs *const each[3] = { &o, &blur, &coarse };
    for (int i = 0; i < 3; i++) {
        fd_arena b = a;
        fd_obs_draw(each[i], fd_seed(1), 0, 1, x, z, b), eat_double(each[i]->m, z);
        eat_double(1, (double[]){ fd_obs_check(each[i], x, fd_seed(2), b) < 1 });
        eat_double(1, (double[]){ fd_obs_misfit(each[i], seen_all, x, d, b) }), eat(N, d);
        const fd_posterior *post = fd_posterior_new(&b, NULL, k.data, each[i], seen_all);
        fd_posterior_draw(post, fd_seed(3), 0, B, d, b), eat(B * N, d);
        fd_posterior_std(post, d, b), eat(N, d);
        const fd_gain *g = fd_gain_new(&b, each[i], k.noise, NULL);
        fd_gain_condition(g, .5, 1, seen_all, NULL, x, b), eat(N, x);
        eat_double(1, (double[]){ fd_gain_logdet(g, 1, 1, b) });
        eat_double(1, (double[]){ fd_score_power(&k.p, k.data, each[i], .3, b) });
        for (int own = 0; own < 2; own++) {             /* a multiple of C, or another covariance */
            const fd_cov *c = own ? k.noise : k.data;
            const fd_model m = fd_oracle_posterior(&b, &k.p, 1, NULL, NULL, &c, each[i], seen_all);
            const double at[B] = { .5, .5, .2 };
            if (m.eval) m.eval(m.self, &k.s, B, x, at, d, b), eat(B * N, d);
            if (m.var) m.var(m.self, &k.s, B, x, at, d, b), eat(B * N, d);
        }
    }
    const fd_gain *g = fd_gain_new(&a, &o, k.noise, NULL), *still = fd_gain_new(&a, &quiet, k.noise,
                                                                               NULL);
    fd_project_flat(&o, B, y, x, a), eat(B * N, x);
    fd_project_denoised(g, &k.p, .5, B, y, d, e, x, e, a), eat(B * N, x);
    fd_path_move(g, &k.p, FD_PATH_FRESH, 1, .5, B, y, e, y, a), eat_double(4 * B, y);
    const fd_sampler how = { .p = &k.p, .scheme = FD_DDIM };
    fd_noise_step(&how, &o, .5, .4, B, e, NULL, y, a), eat_double(4 * B, e);
    const fd_model u = fd_ucos(&a, g, &k.p, seen, k.gauss);
    if (u.eval) u.eval(u.self, &k.s, B, x, k.t + 1, d, a), eat(B * N, d);
    fd_ucos_noise(g, &k.p, fd_seed(4), 0, B, k.t + 1, d, a), eat(B * N, d);
    fd_eci_step(&k.p, &k.gauss, still, y, .5, .4, B, x, k.xi, a), eat(B * N, x);
}

/* powers on points that have fewer modes */
static void do_dense(fd_arena a)
{
    static const fd_real basis[12] = { 1, 1, 1, 1, 1, 1, 1, -1, 1, -1, 1, -1 };
    static const fd_real weight[6] = { 1 / 6.f, 1 / 6.f, 1 / 6.f, 1 / 6.f, 1 / 6.f, 1 / 6.f };
    const fd_space s = fd_dense(NULL, 6, 2, basis, weight, 1);
    const fd_cov *c = fd_cov_table(&a, &s, (const double[]){ 2, .5 });
    const fd_real x[6] = { 3, 1, 3, 1, 3, 1 };
    fd_real y[6] = { 0 };
    fd_cov_pow(c, -.5, 1, x, y, a), eat(6, y);
    eat_double(1, (double[]){ c ? fd_cov_norm2(c, x, a) : 0 });
}

static void do_more_chains(fd_arena a)
{
    kit k = kit_new(&a);
    kit_on(&a, &k);
    fd_obs o = fd_obs_points(&a, &k.s, 4, places, NULL);
    fd_obs_noise(&a, &o, .3);
    const fd_potential phi = fd_obs_potential(&a, &o, seen);
    fd_real *x = normals(&a, B * N, 22);
    if (!x || !k.x || !k.xi || !phi.value) return;
    for (int kind = FD_GUIDE_EXACT; kind <= FD_GUIDE_PIGDM; kind++)
        for (int i = 0; i < 2; i++) {
            fd_obs q = o;
            fd_arena b = a;
            if (i) fd_obs_noise_cov(&b, &q, (double[]){ 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0,
                                                        1 });
            const fd_process heat = fd_heat(k.noise, 1, 1e-3, NULL, NULL, 2);
            const fd_process *p = kind == FD_GUIDE_PIGDM && i ? &heat : &k.p;
            const fd_model m = fd_oracle_gauss(&b, p, k.mean, k.data);
            const fd_model y = fd_guided(&b, &(fd_guide){ p, m, &q, seen, kind, 0, i });
            if (y.eval) y.eval(y.self, &k.s, B, x, (double[]){ .8, .5, .5 }, x, b), eat(B * N, x);
        }
    const fd_mcmc how = { .prior = k.noise, .phi = phi, .kind = FD_MCMC_MALA, .h = .1 };
    fd_chain *c = fd_chain_resume(&a, &how, fd_seed(6), 0, k.x, 3, .1, 1, 4);
    if (c) fd_chain_step(c, a), eat(N, c->u);
    fd_langevin_implicit(k.noise, k.mean, &phi, .1, B, x, k.xi, a), eat(B * N, x);
    for (int plain = 0; plain < 2; plain++)
        fd_daps_step(k.noise, &phi, .5, .01, plain, B, k.x, x, k.xi, a), eat(B * N, x);
    const fd_sampler flow = { .p = &k.p, .model = k.gauss, .t = k.t, .steps = 8,
                              .scheme = FD_DDIM };
    const fd_daps d = { .how = flow, .phi = phi, .inner = 2, .h = .001 };
    fd_daps_level(&d, .3, fd_seed(7), 0, B, x, a), eat(B * N, x);
    const fd_potential latent = fd_latent_potential(&a, &flow, &phi);
    if (latent.value)
        eat_double(1, (double[]){ latent.value(latent.self, &k.s, x, NULL, a) });
    fd_sampler how8 = flow;
    how8.scheme = FD_ANCESTRAL;
    fd_guide g = { .p = &k.p, .model = k.gauss, .o = &o, .y = seen };
    fd_particles *p = fd_particles_begin(&a, &how8, &g, fd_seed(8), 4);
    fd_particles_step(p, a), fd_particles_resample(p, a), eat(4 * N, p ? p->run->x : NULL);
    double w[40];
    for (int i = 0; i < 40; i++) w[i] = i * 7 % 11;
    eat_double(3, (double[]){ fd_rhat(2, 20, w, a), fd_ess(2, 20, w, a), fd_iact(40, w, a) });
}

static void silent(const void *self, const fd_space *s, int b, const fd_real *x, const double *t,
                   fd_real *y, fd_arena a)
{
    (void)self, (void)x, (void)t, (void)a;
    memset(y, 0, (size_t)b * N * sizeof *y * (size_t)(s->ch > 0));
}

/* guidance where each mode has its own m, and a network that is told of observations */
static void do_told(fd_arena a)
{
    kit k = kit_new(&a);
    const fd_process heat = fd_heat(k.noise, 1, 1e-3, NULL, NULL, 2);
    const double at[1] = { .5 };
    const fd_model raw = { .predicts = FD_X0, .eval = silent };
    fd_obs o = fd_obs_points(&a, &k.s, 4, places, NULL);
    fd_obs_noise(&a, &o, .1);
    fd_real *y = fd_raw(&a, fd_real, 7 * N), *z = fd_raw(&a, fd_real, N);
    if (!z || !k.x || !k.noise) return;
    const fd_model m = fd_oracle_gauss(&a, &heat, NULL, k.data);
    const fd_model by = fd_guided(&a, &(fd_guide){ &heat, m, &o, seen, FD_GUIDE_PIGDM, 0, 0 });
    if (by.eval) by.eval(by.self, &k.s, 1, k.x, at, y, a), eat(N, y);
    const fd_condition how = { .p = &heat, .base = FD_BASE_GAUSS, .c0 = k.data,
        .predicts = FD_X0, .sees = FD_SEES_POSTERIOR | FD_SEES_DENOISED | FD_SEES_SLOPE };
    const fd_amortised *w = fd_amortised_new(&a, &how, &o);
    fd_amortised_pair(w, 1, seen, k.x, NULL, k.x, at, y, z, NULL, a), eat(N, z);
    const fd_model told = fd_amortised_model(&a, w, seen, raw);
    if (told.eval) told.eval(told.self, &k.s, 1, k.x, at, z, a), eat(N, z);
}

static void still(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)t;
    y[0] = -x[0], y[1] = .1 * x[0];
}

static void spread(const void *self, const double *x, double t, double *G)
{
    (void)self, (void)t;
    G[0] = 1, G[1] = .1 * x[1], G[2] = 0, G[3] = .5;
}

static void do_more_bridges(fd_arena a)
{
    kit k = kit_new(&a);
    const fd_linear l = fd_linear_heat(&a, k.noise, .01, .2, 1.5);
    const fd_linear dbfs = fd_linear_dbfs(&a, &k.s, 1, 1);
    const double t[B] = { .2, .7, 1.4 };
    fd_real *x = fd_raw(&a, fd_real, B * N);
    double logz[B] = { 0 }, var[N], upper = 0;
    if (!x || !k.x || !k.xi || !k.mean || st.code) return;
    eat_double(N, dbfs.a);
    memcpy(x, k.x, B * N * sizeof *x);
    fd_linear_step(&l, 0, .5, B, x, k.xi, a), eat(B * N, x);
    fd_bridge_step(&l, .5, .9, B, x, k.x, k.xi, a), eat(B * N, x);
    fd_bridge_draw(&l, B, t, k.x, k.xi, k.xi, x, a), eat(B * N, x);
    eat_double(1, (double[]){ fd_bridge_cost(&l, k.x, k.xi, &upper, a) });
    const fd_cov *const c[] = { k.data, k.other };
    const fd_mix law = { 2, NULL, k.mean, c }, at = { 2, NULL, k.mean, NULL };
    const fd_rng r = fd_seed(9);
    fd_bridge_end_mix(&l, .5, k.x, &law, &r, 0, B, k.x, x, a), eat(B * N, x);
    fd_bridge_end_mix(&l, .5, k.x, &at, NULL, 0, B, k.x, x, a), eat(B * N, x);
    fd_girsanov(k.noise, .1, B, k.x, k.xi, logz, a), eat_double(B, logz);
    if (k.noise) fd_schroedinger_cov(&l, k.noise->lam, k.noise->lam, var, a), eat_double(N, var);
    const fd_system e = { 2, 2, still, spread, NULL, NULL };
    double u[2] = { .3, .4 }, v[2] = { .5, .1 }, J[4] = { 1, 0, 0, 1 }, y[2] = { 0, 0 };
    fd_system_step(&e, FD_SDE_HEUN, 0, .1, 1, u, v, a), eat_double(2, u);
    fd_system_div(&e, 0, u, y, a), eat_double(2, y);
    fd_system_target(&e, FD_REVERSAL_DRIFT, 0, .1, 1, u, v, y, a), eat_double(2, y);
    fd_system_reverse(&e, FD_REVERSAL_SCORE, 0, u, v, y, a), eat_double(2, y);
    fd_system_weight(&e, 0, .1, 1, 1, u, v, J, y, a), eat_double(4, J);
    kit_on(&a, &k);
    const fd_model m = fd_policy_model(&a, &k.p, k.gauss, fd_oracle_gauss(&a, &k.p, NULL, k.other),
                                       .5);
    if (m.vjp) m.vjp(m.self, &k.s, B, k.x, t, k.xi, x, a), eat(B * N, x);
}

/* ---- Operators and networks that hash.c has not ---------------------------------------------- */

/* y, the gradient of its squares for x [n], and the gradient of that */
static void twice(fd_tape *t, fd_var *y, int n, fd_var *const x[])
{
    fd_var *d[3] = { NULL, NULL, NULL }, *all = NULL;
    if (y) eat(fd_count(y), y->x);
    fd_grad(t, fd_map(t, y, FD_SQUARE), NULL, n, x, d);
    for (int i = 0; i < n; i++) {
        d[i] = fd_sum_to(t, fd_map(t, d[i], FD_SQUARE), 0, NULL);
        all = i ? fd_add(t, all, d[i]) : d[i];
    }
    fd_grad(t, all, NULL, n, x, d);
    for (int i = 0; i < n; i++) if (d[i]) eat(fd_count(d[i]), d[i]->x);
    fd_tape_end(t);
}

static fd_var *some(fd_tape *t, int nd, const int n[])
{
    static fd_real x[256];
    for (int i = 0; i < 256; i++) x[i] = (fd_real)(i * 7 % 11 - 4) / 8;
    return fd_param(t, nd, n, x, NULL);
}

static void rows_on(int mode, fd_arena a)
{
    const fd_real weight[3] = { 1, 2, 3 };
    for (int k = 0; k < 3; k++) {
        fd_tape t = fd_tape_begin(&a, mode);
        fd_var *x = some(&t, 3, (int[]){ 1, 3, 4 }), *c = some(&t, 1, (int[]){ 4 });
        fd_var *q[3] = { x, c, c }, *y = NULL;
        if (k == 0) y = fd_softmax(&t, x);
        if (k == 1) y = fd_layernorm(&t, x, c, c, .1);
        if (k == 2) y = fd_attention_over(&t, x, x, x, 2, weight);
        if (mode == FD_GRAD2) { twice(&t, y, k == 1 ? 2 : 1, q); continue; }
        fd_grad(&t, y, NULL, k == 1 ? 2 : 1, q, q);
        if (q[0]) eat(12, q[0]->x);
        fd_tape_end(&t);
    }
}

static void do_rows(fd_arena a) { rows_on(FD_GRAD2, a); }
static void do_fused(fd_arena a) { rows_on(FD_GRAD, a); }

static void do_stencils(fd_arena a)
{
    const int index[4] = { 0, 2, 1, 1 };
    for (int k = 0; k < 5; k++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD2);
        fd_var *x = some(&t, 4, (int[]){ 1, 4, 3, 2 }), *w = some(&t, 3, (int[]){ 3, 3, 2 });
        fd_var *p = some(&t, 3, (int[]){ 2, 3, 2 }), *k3 = some(&t, 4, (int[]){ 3, 3, 2, 1 });
        fd_var *y = NULL;
        const double step = k == 1 ? 1.5 : 1;
        if (k < 2) y = fd_stencil(&t, x, w, 2, NULL, (double[]){ step, step });
        if (k == 2) y = fd_gather(&t, p, 2, 2, index, NULL);
        if (k == 3) y = fd_conv3(&t, x, k3, NULL);
        if (k == 4) y = fd_regrid(&t, x, 2, NULL, (int[]){ 2, 5 });
        twice(&t, y, k < 2 || k == 3 ? 2 : 1, (fd_var *[]){ k == 2 ? p : x, k == 3 ? k3 : w });
    }
}

static void do_spectra(fd_arena a)
{
    fd_space s = fd_grid(&a, 2, (int[]){ 4, 3 }, NULL, NULL, 1);
    fd_cov *c = fd_cov_white(&a, &s, 1, 3);
    for (int k = 0; k < 4; k++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD2);
        fd_var *x = some(&t, 4, (int[]){ 1, 4, 3, 2 }), *r = some(&t, 4, (int[]){ 3, 2, 2, 2 });
        fd_var *w = some(&t, 5, (int[]){ 3, 2, 2, 1, 2 }), *u = some(&t, 3, (int[]){ 1, 1, 12 });
        const int lo[2] = { -1, 0 }, hi[2] = { 1, 1 };
        fd_var *y = NULL;
        if (k < 2) y = fd_spectral(&t, x, k ? r : w, 2, lo, hi);
        if (k == 2) y = fd_cov_apply(&t, c, .5, u);
        if (k == 3) y = fd_sum_to(&t, x, 4, (int[]){ 1, 1, 3, 1 });
        twice(&t, y, k < 2 ? 2 : 1, (fd_var *[]){ k == 2 ? u : x, k ? r : w });
    }
}

static fd_var *page(fd_pass *p, fd_var *x, const void *self)
{
    (void)self;
    fd_var *e = fd_label_embedding(p, 2, 4), *h = fd_dense_layer(p, "in", fd_channels_last(p, x),
                                                                 1, 4);
    h = fd_attention_block(p, fd_film_layer(p, "film", h, 4, e, 4), 4, 2, 3);
    return fd_channels_first(p, fd_dense_layer(p, "out", h, 4, 1));
}

/* the gradient of a gradient for what was hidden before; a sum of so many that it is cut */
static void do_hidden(fd_arena a)
{
    const int n[3] = { 1, 5, 1 }, m[4] = { 2, 1, 1, 2 }, many[1] = { 70000 };
    for (int k = 0; k < 2; k++) {
        fd_tape t = fd_tape_begin(&a, FD_GRAD2);
        fd_var *x = some(&t, 3, n), *w = some(&t, 4, m), *d = NULL;
        if (k) x = fd_input(&t, 1, many, fd_new(&a, fd_real, many[0]));
        if (k) d = fd_sum_to(&t, x, 0, NULL);
        else fd_grad(&t, fd_spectral(&t, x, w, 1, (int[]){ 0 }, (int[]){ 1 }), NULL, 1, &x, &d);
        if (k && d) eat(1, d->x);
        if (!k) twice(&t, d, 1, &w);
    }
}

static void do_own(fd_arena a)
{
    fd_space s = fd_grid(&a, 1, (int[]){ 5 }, NULL, NULL, 1);
    fd_net *f = fd_net_define(&a, page, NULL, &s, fd_seed(1));
    fd_model m = fd_net_labelled(&a, f, FD_X0, 1), raw = fd_net_raw(&a, f);
    fd_real *x = normals(&a, 10, 1), y[10] = { 0 };
    const double time[2] = { .1, .2 };
    if (!x) return;
    if (m.eval) m.eval(m.self, &s, 2, x, time, y, a), eat(10, y);
    if (m.vjp) m.vjp(m.self, &s, 2, x, time, x, y, a), eat(10, y);
    if (raw.eval) raw.eval(raw.self, &s, 2, x, time, y, a), eat(10, y);
}

static void fields_of(int from, int to, fd_arena a)
{
    static const fd_arch arch[] = {
        { NET(FD_SIREN, 1), .width = 3, .layers = 1, .inr = { .mod = FD_MOD_WEIGHTS, .omega = 2 } },
        { NET(FD_SIREN, 1), .width = 3, .layers = 1,
          .inr = { .mod = FD_MOD_SHIFT, .omega = 2, .inner = 1 } },
        { NET(FD_VIT, 1), .width = 4, .layers = 1, .grid = { 4 },
          .vit = { .heads = 2, .mlp = 3, .patch = { 2 }, .pos = FD_POS_LEARNED } },
        { NET(FD_FNO_BLOCK, 1), .width = 3, .layers = 1, .time = FD_TIME_FILM,
          .fno = { .modes = { 3 }, .lift = -1, .proj = -1 } } };
    fd_space s = fd_grid(&a, 1, (int[]){ 6 }, NULL, NULL, 1);
    for (int k = from; k < to; k++) {
        fd_arena mem = a;
        fd_net *f = fd_net_new(&mem, &arch[k], fd_seed(1));
        fd_tape t = fd_tape_begin(&mem, k == 1 ? FD_EVAL : FD_GRAD2);
        fd_var *x = some(&t, 3, (int[]){ 1, 1, 6 }), *mods = NULL, *y;
        const double time = .3;
        if (k == 0) mods = some(&t, 2, (int[]){ 1, (int)fd_inr_size(f) });
        y = k ? fd_forward(f, &t, &s, x, &time) : fd_inr(f, &t, &s, 1, x, &time, mods);
        if (y) eat(6, y->x);
        if (k != 1) fd_backward(&t, y);
    }
}

static void do_fields(fd_arena a) { fields_of(0, 2, a); }
static void do_positions(fd_arena a) { fields_of(2, 4, a); }

/* ---- Starving -------------------------------------------------------------------------------- */

/* a task, or with group NULL network `which`: its sum, and what it took */
static uint64_t once(void (*group)(fd_arena), size_t which, char *mem, long fail, long *took)
{
    sum = NONE;
    fd_arena a = fd_arena_over(mem, SIZE, &st);
    starve_left = fail;
    if (group) group(a);
    else do_network(which, a);
    *took = fail - starve_left;
    return sum;
}

static void task(const char *name, void (*group)(fd_arena), size_t which, char *mem, long most)
{
    long took, all, same = 0, tried = 0, wrong = 0;
    const uint64_t want = once(group, which, mem, LONG_MAX, &all);
    if (st.code) {
        char why[160];
        fd_explain(&st, why, sizeof why);
        printf("%s: %s\n", name, why), bad++;
        return;
    }
    const long step = all > most ? all / most : 1;
    for (long k = 1; k <= all; k += step, tried++) {
        const uint64_t got = once(group, which, mem, k, &took);
        const int fine = st.code ? st.code == FD_ENOMEM : got == want;
        same += !st.code;
        if (fine) continue;
        if (wrong++ < 3) {
            char why[160];
            fd_explain(&st, why, sizeof why);
            printf("%s: piece %ld of %ld: %s\n", name, k, all, st.code ? why : "other numbers");
        }
    }
    good += tried - wrong;
    bad += wrong;
    printf("%s: %ld pieces, %ld tried, %ld not needed, %ld wrong\n", name, all, tried, same, wrong);
    fflush(stdout);
}

/* ---- The disk -------------------------------------------------------------------------------- */

/* stb_image_write does not free what it has compressed where there is no memory for the picture */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:stbiw__sbgrowf"; }

enum { SAVES = 7, LOADS = 8 };
static const char *const save_name[SAVES] = { "npy", "npz", "safetensors", "png", "csv", "text",
    "net" };
static const char *const load_name[LOADS] = { "npy", "idx", "load", "safetensors", "npz", "zip64",
    "net", "types" };

static void disk_save(int kind, const char *path, fd_arena a)
{
    const int n[2] = { 30, 5 };
    fd_real *x = normals(&a, 150, 1);
    fd_tensor t[2] = { { "x", 2, { 30, 5 }, x, NULL }, { "y", 1, { 150 }, x, NULL } };
    fd_meta m = { "key", "value" };
    const fd_tensors f = { 2, 1, t, &m, 0, NULL };
    if (kind == 0) fd_npy_save(&st, path, 2, n, x);
    if (kind == 1) fd_npz_save(&st, path, &f);
    if (kind == 2) fd_tensors_save(&st, path, &f);
    if (kind == 3) fd_png_sheet(&st, path, 1, 1, 30, 5, x, -1, 1, FD_VIRIDIS, 2, a);
    if (kind == 4)
        fd_csv_save(&st, path, 1, (const char *const[]){ "v" }, 1, (const double[]){ 1 });
    if (kind == 5) fd_text_save(&st, path, "text");
    if (kind == 6) fd_net_save(&st, path, fd_net_new(&a, &net[0].arch, fd_seed(1)), NULL, &f, a);
}

/* a zip whose end is that of zip64: the same entries, counted in 8 bytes */
static void disk_zip64(const char *from, const char *to)
{
    static unsigned char b[1 << 14];
    FILE *f = fopen(from, "rb");
    const size_t n = f ? fread(b, 1, sizeof b - 100, f) : 0;
    if (f) fclose(f);
    if (n < 22) return;
    unsigned char *const end = b + n - 22, last[22], *p = end;
    memcpy(last, end, sizeof last);
    memset(end, 0, 56 + 20);
    memcpy(p, "PK\6\6\54", 5), p[12] = p[14] = 45;
    memcpy(p + 24, last + 8, 2), memcpy(p + 32, last + 10, 2);
    memcpy(p + 40, last + 12, 4), memcpy(p + 48, last + 16, 4);
    p += 56;
    memcpy(p, "PK\6\7", 4), p[16] = 1;
    for (int i = 0; i < 8; i++) p[8 + i] = (unsigned char)((uint64_t)(end - b) >> 8 * i & 255);
    memset(last + 8, 255, 12);
    memcpy(p + 20, last, sizeof last);
    f = fopen(to, "wb");
    if (f) fwrite(b, 1, (size_t)(p + 42 - b), f), fclose(f);
}

/* the numbers of a file, eaten; returns whether something was given back */
static int disk_load(int kind, const char *const saved[SAVES], const char *zip64, fd_arena *a)
{
    fd_net *g = NULL;
    fd_array y = { 0, { 0 }, NULL };
    fd_tensors f = { .count = 0 };
    if (kind == 0) y = fd_npy_load(a, saved[0]);
    if (kind == 1) y = fd_idx_load(a, "tests/data/read/x.idx");
    if (kind == 2) y = fd_load(a, saved[0]);
    if (kind == 3) f = fd_tensors_load(a, saved[2]);
    if (kind == 4) f = fd_tensors_load(a, saved[1]);
    if (kind == 5) f = fd_tensors_load(a, zip64);
    if (kind == 6) f = fd_net_load(a, saved[6], &g, NULL);
    if (kind == 7) f = fd_tensors_load(a, "tests/data/read/x.safetensors");
    if (y.x) eat(y.n[0], y.x);
    eat_tensors(&f);
    if (g) eat(g->count, g->w);
    return y.x || f.count || g;
}

static void disk_judge(const char *what, const char *name, long call, int fine)
{
    char why[160];
    if (fine) { good++; return; }
    fd_explain(&st, why, sizeof why);
    printf("disk: %s %s, call %ld: %s\n", what, name, call, why), bad++;
}

/* whether a file that was there is as it was, and no file whose name goes on is beside it */
static int disk_as_before(const char *path)
{
    char got[16] = "", beside[160];
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(got, 1, sizeof got, f) : 0;
    if (f) fclose(f);
    snprintf(beside, sizeof beside, "%s.%ld-0.tmp", path, (long)getpid());
    return n == 4 && !memcmp(got, "past", 4) && access(beside, F_OK);
}

/* File `kind` is written while call k fails, k = 1, 2, .. until none is left to fail; and while no
 * name is free. */
static long disk_saves(int kind, const char *path, char *mem)
{
    long calls = 0;
    for (long k = -1, over = 0; !over; k++) {
        FILE *f = fopen(path, "wb");
        if (f) fwrite("past", 1, 4, f), fclose(f);
        const fd_arena a = fd_arena_over(mem, SIZE, &st);
        disk_taken = k < 0;
        disk_left = k > 0 ? k : 0;
        if (k) disk_save(kind, path, a);
        over = k > 0 && disk_left;
        disk_taken = 0, disk_left = 0;
        if (!k) continue;
        disk_judge("write", save_name[kind], k, over ? !st.code : st.code == FD_EIO
                                                                 && disk_as_before(path));
        calls += !over;
    }
    return calls;
}

static long disk_loads(int kind, const char *const saved[SAVES], const char *zip64, char *mem)
{
    long calls = 0;
    uint64_t want = 0;
    for (long k = 0, over = 0; !over; k++) {
        fd_arena a = fd_arena_over(mem, SIZE, &st);
        char *const beg = a.beg;
        sum = NONE;
        disk_left = k;
        const int some = disk_load(kind, saved, zip64, &a);
        over = k && disk_left;
        disk_left = 0;
        if (!k) want = sum;
        const int same = some && !st.code && sum == want && want != NONE;
        disk_judge("read", load_name[kind], k, same || (k && !over && st.code == FD_EIO && !some
                                                        && a.beg == beg));
        calls += !over;
    }
    return calls;
}

/* the tool's readers, from files that are mapped or not */
static long disk_reading(int unmapped, char *mem)
{
    long calls = 0;
    uint64_t want = 0;
    for (long k = 0, over = 0; !over; k++) {
        fd_arena a = fd_arena_over(mem, SIZE, &st);
        sum = NONE;
        disk_unmapped = unmapped, disk_left = k;
        read_some(1, a);
        over = k && disk_left;
        disk_unmapped = 0, disk_left = 0;
        if (!k) want = sum;
        disk_judge("read", unmapped ? "unmapped" : "mapped", k,
                   st.code ? k && !over && st.code == FD_EIO : sum == want && want != NONE);
        calls += !over;
    }
    return calls;
}

static void disk(char *mem)
{
    static char name[SAVES][128], zip64[128];
    const char *saved[SAVES];
    long calls = 0;
    for (int i = 0; i < SAVES; i++) {
        snprintf(name[i], sizeof *name, "%s", scratch_path(save_name[i]));
        saved[i] = name[i];
        calls += disk_saves(i, saved[i], mem);
    }
    for (int k = 0; k < 2; k++) {                  /* a file without fsync is written all the same */
        const fd_arena a = fd_arena_over(mem, SIZE, &st);
        disk_unsynced = k ? EINVAL : ENOTSUP;
        disk_save(0, saved[0], a);
        disk_unsynced = 0;
        disk_judge("write", "unsynced", k, !st.code && !disk_as_before(saved[0]));
    }
    snprintf(zip64, sizeof zip64, "%s", scratch_path("zip64"));
    disk_zip64(saved[1], zip64);
    for (int i = 0; i < LOADS; i++) calls += disk_loads(i, saved, zip64, mem);
    for (int i = 0; i < 2; i++) calls += disk_reading(i, mem);
    for (int i = 0; i < SAVES; i++) remove(saved[i]);
    remove(zip64);
    printf("disk: %ld calls of the system failed in turn\n", calls);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(fd_arena); } tasks[] = {
        { "streams", do_streams }, { "transforms", do_transforms }, { "algebra", do_algebra },
        { "spaces", do_spaces }, { "covariances", do_covariances }, { "processes", do_processes },
        { "models", do_models }, { "samplers", do_samplers }, { "densities", do_densities },
        { "posteriors", do_posteriors }, { "chains", do_chains }, { "bridges", do_bridges },
        { "policies", do_policies }, { "losses", do_losses }, { "moves", do_moves },
        { "more-chains", do_more_chains }, { "more-bridges", do_more_bridges }, { "told", do_told },
        { "dense", do_dense },
        { "maps", do_maps }, { "rows", do_rows }, { "fused", do_fused }, { "stencils", do_stencils },
        { "spectra", do_spectra }, { "hidden", do_hidden }, { "own", do_own },
        { "fields", do_fields }, { "positions", do_positions }, { "files", do_files },
        { "checkpoints", do_checkpoints }, { "foreign", do_foreign }, { "reading", do_reading } };
    const char *prefix = argc > 1 ? argv[1] : "";
    const long most = argc > 2 ? strtol(argv[2], NULL, 10) : LONG_MAX;
    char *mem = malloc(SIZE);
    if (!mem) return 2;
    starve = 1;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (!strncmp(tasks[i].name, prefix, strlen(prefix)))
            task(tasks[i].name, tasks[i].run, 0, mem, most);
    for (size_t i = 0; i < sizeof net / sizeof *net; i++) {
        char name[48];
        snprintf(name, sizeof name, "net-%s", net[i].name);
        if (!strncmp(name, prefix, strlen(prefix))) task(name, NULL, i, mem, most);
    }
    if (!strncmp("disk", prefix, strlen(prefix))) disk(mem);
    free(mem);
    if (!good && !bad) printf("starve: no task starts with '%s'\n", prefix), bad++;
    printf("%ld passed, %ld failed\n", good, bad);
    return bad != 0;
}
