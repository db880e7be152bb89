/* threads.c -- one process, several threads of the caller: make tsan. All of them use the same
 * plans, spaces, covariances, processes, models, observations and weights at once, each with an
 * arena and a status of its own, as fd.h allows; ThreadSanitizer sees who writes what others read.
 * Every thread must find the bits that one alone finds. Built without OpenMP. */
#define _POSIX_C_SOURCE 200809L
#include "fd.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 3, N = 32, B = 2, SIZE = 1 << 24 };
enum { FFT, MODES, DRAW, RESAMPLE, SAMPLE, NET, TRAIN, POSTERIOR, GUIDE, CHAIN, LOGLIK, EIGEN, LOAD,
       TASKS };
static const char *const names[TASKS] = { "transforms", "modes", "draws", "resampling", "sampling",
    "a network", "gradients", "a posterior", "guidance", "chains", "likelihoods", "eigenvalues",
    "files" };

static struct {
    fd_space s, fine;
    fd_fft *fft[10];
    fd_cov *noise, *data;
    fd_process p;
    fd_model gauss, net_model;
    fd_net *net;
    fd_obs o;
    fd_posterior *posterior;
    fd_gain *gain;
    fd_potential phi;
    double t[9];
    const char *path;
} all;

typedef struct {
    int task;
    uint64_t hash;
    char why[160];
    char *mem;
} job;

static const double seen[4] = { 1, -.4, .2, .8 };

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
    const unsigned char *c = p;
    while (n--) h = (h ^ *c++) * 1099511628211u;
    return h;
}

static void sample(const fd_model *m, fd_real *x, fd_arena a)
{
    const fd_sampler how = { .p = &all.p, .model = *m, .t = all.t, .steps = 8,
                             .scheme = FD_PF_MULTISTEP };
    fd_sample(&how, fd_seed(3), 0, B, x, a);
}

/* the numbers of a task in x [B][N]; returns how many */
static int work(int task, fd_real *x, fd_arena a)
{
    double logp[B], S[36], w[6], V[36];
    fd_normal(fd_seed((uint64_t)task), B * N, x);
    switch (task) {
    case FFT:
        for (int k = FD_R2C; k <= FD_DST4; k++) fd_fft_run(all.fft[k], -1, .5, B, N, 1, x, a);
        break;
    case MODES: fd_to_modes(&all.s, B, x, x, a); fd_from_modes(&all.s, B, x, x, a); break;
    case DRAW: fd_cov_draw(all.noise, fd_seed(2), 0, B, x, a); break;
    case RESAMPLE: {
        fd_real *y = fd_raw(&a, fd_real, B * fd_size(&all.fine));
        fd_resample(&all.s, &all.fine, B, x, y, a);
        fd_resample(&all.fine, &all.s, B, y, x, a);
        break;
    }
    case SAMPLE: sample(&all.gauss, x, a); break;
    case NET: sample(&all.net_model, x, a); break;
    case TRAIN: {
        fd_tape t = fd_tape_begin(&a, FD_GRAD);
        fd_var *in = fd_param(&t, 3, (int[]){ B, 1, N }, x, NULL), *dx = NULL;
        fd_var *y = fd_forward(all.net, &t, &all.s, in, (double[]){ .2, .7 });
        fd_var *loss = fd_mse_loss(&t, &all.s, y, x, NULL);
        fd_grad(&t, loss, NULL, 1, &in, &dx);
        if (dx) memcpy(x, dx->x, B * N * sizeof *x);
        fd_tape_end(&t);
        break;
    }
    case POSTERIOR: fd_posterior_draw(all.posterior, fd_seed(5), 0, B, x, a); break;
    case GUIDE: {
        const fd_guide g = { .p = &all.p, .model = all.gauss, .o = &all.o, .y = seen,
                             .rule = FD_GUIDE_PIGDM };
        const fd_model m = fd_guided(&a, &g);
        sample(&m, x, a);
        break;
    }
    case CHAIN: {
        const fd_mcmc how = { .prior = all.noise, .phi = all.phi, .kind = FD_MCMC_MALA, .h = .1 };
        fd_chain *c = fd_chain_begin(&a, &how, fd_seed(6), 0, NULL);
        for (int i = 0; i < 10; i++) fd_chain_step(c, a);
        fd_chain_get(c, x);
        return N;
    }
    case LOGLIK: {
        const fd_sampler how = { .p = &all.p, .model = all.gauss, .t = all.t, .steps = 8,
                                 .scheme = FD_PF_HEUN };
        fd_loglik(&how, 0, fd_seed(1), 0, B, x, logp, a);
        for (int i = 0; i < B; i++) x[i] = (fd_real)logp[i];
        return B;
    }
    case EIGEN:
        for (int i = 0; i < 36; i++) S[i] = 1. / (1 + i / 6 + i % 6);
        fd_eigen(a.st, 6, S, w, V, a);
        for (int i = 0; i < 6; i++) x[i] = (fd_real)w[i];
        return 6;
    case LOAD: {
        const fd_array f = fd_npy_load(&a, all.path);
        if (f.x) memcpy(x, f.x, B * N * sizeof *x);
        break;
    }
    }
    return B * N;
}

static void *run(void *arg)
{
    job *j = arg;
    fd_status st;
    fd_real x[B * N];
    const int n = work(j->task, x, fd_arena_over(j->mem, SIZE, &st));
    j->hash = hash(14695981039346656037u, x, (size_t)n * sizeof *x);
    fd_explain(&st, j->why, sizeof j->why);
    return NULL;
}

static int begin(fd_arena *a)
{
    static const double places[] = { .12, .35, .5, .9 };
    all.s = fd_grid(a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    all.fine = fd_grid(a, 1, (int[]){ 48 }, NULL, (int[]){ FD_NEUMANN }, 1);
    for (int k = FD_R2C; k <= FD_DST4; k++) all.fft[k] = fd_fft_plan(a, k, N);
    all.noise = fd_cov_matern(a, &all.s, 1, .2, 1);
    all.data = fd_cov_rbf(a, &all.s, 1, .3);
    all.p = fd_vp(all.noise, .1, 20);
    all.gauss = fd_oracle_gauss(a, &all.p, NULL, all.data);
    all.net = fd_net_new(a, &(fd_arch){ .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1,
                                        .width = 6, .layers = 2, .fno.modes = { 6 },
                                        .time = FD_TIME_FILM }, fd_seed(1));
    all.net_model = fd_net_model(a, all.net, FD_V);
    all.o = fd_obs_points(a, &all.s, 4, places, NULL);
    fd_obs_noise(a, &all.o, .1);
    all.posterior = fd_posterior_new(a, NULL, all.data, &all.o, seen);
    all.phi = fd_obs_potential(a, &all.o, seen);
    fd_times(&all.p, FD_LOGSNR, 0, 8, all.t, a->st);
    fd_real *x = fd_new(a, fd_real, B * N);
    if (x) fd_normal(fd_seed(9), B * N, x);
    fd_npy_save(a->st, all.path, 2, (int[]){ B, N }, x);
    return a->st->code;
}

int main(int argc, char **argv)
{
    static job j[THREADS];
    pthread_t id[THREADS];
    fd_status st;
    char why[160];
    int passed = 0, failed = 0;
    char *mem = malloc((size_t)SIZE * (THREADS + 1));
    all.path = argc > 1 ? argv[1] : "build/threads.npy";
    if (!mem) return 2;
    fd_arena a = fd_arena_over(mem, SIZE, &st);
    if (begin(&a)) {
        fd_explain(&st, why, sizeof why);
        printf("threads: %s\n", why);
        return 2;
    }
    /* all with the same task, then each with another one */
    for (int round = 0; round < ROUNDS * TASKS; round++) {
        uint64_t want[THREADS];
        for (int i = 0; i < THREADS; i++) {
            j[i].mem = mem + (size_t)SIZE * (size_t)(i + 1);
            j[i].task = (round + (round < TASKS ? 0 : i)) % TASKS;
            run(&j[i]);
            want[i] = j[i].hash;
        }
        for (int i = 0; i < THREADS; i++)
            if (pthread_create(&id[i], NULL, run, &j[i])) return 2;
        for (int i = 0; i < THREADS; i++) {
            pthread_join(id[i], NULL);
            const int ok = j[i].hash == want[i] && !*j[i].why;
            passed += ok, failed += !ok;
            if (!ok) printf("%s in thread %d: %s\n", names[j[i].task], i,
                            *j[i].why ? j[i].why : "other bits");
        }
    }
    remove(all.path);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
