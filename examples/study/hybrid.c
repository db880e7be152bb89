/* hybrid.c -- an operator, a coordinate network, or one above the other? [Survey sec. 4]
 *
 *     hybrid [--data IMAGES --labels LABELS]          rows of the table of rivals.h
 *
 * All rows are trained by `fd train` with the same noise, process and target, the clean function:
 *
 *     operator, says x0       a Fourier operator: the function at the points that it sees
 *     operator + field        the same operator, whose features modulate a coordinate network that
 *                             also sees the noisy value at its place
 *     operator + field, last  its samples on the first grid, whose last denoiser is asked on the
 *                             finer one: only one evaluation costs what that grid costs
 *     field without values    the field sees its place alone, so it can be asked anywhere
 *     meta-learned field      a coordinate network alone, that adapts to the noisy function [FDP];
 *                             15 steps in place of 50, on the first grid, asked last
 *
 * For `kinds` samples are also asked at 64 scattered places, which no grid has; the exact law there
 * is known. The operator's samples are evaluated there by their waves. */
#include "rivals.h"

enum { PLACES = 64, FINEST = 960 };
#define X0 " --cov matern:nu=1.5,l=0.1 --precond none --predict x0 --steps 6000 --lr 2e-3"
#define X0_META " --cov matern:nu=1.5,l=0.1 --precond none --predict x0 --steps 2000 --lr 1e-3"
#define X0_CLOTHES " --precond none --predict x0 --batch 16 --lr 2e-3"
#define FIELD1 ",latent=32,field-width=32,field-layers=2,omega=10"
static const struct { const char *name, *flags[TRIALS]; } made[] = {
    { "operator-x0", { "--net fno" X0, "--net fno:width=16,stencil=3 --steps 2000" X0_CLOTHES } },
    { "hybrid", { "--net fno-field:pixels=1" FIELD1 X0,
                  "--net fno-field:width=16,pixels=1,pool=4,latent=64,field-width=32,"
                  "field-layers=2,omega=10 --steps 1000" X0_CLOTHES } },
    { "hybrid-blind", { "--net fno-field:pixels=0" FIELD1 X0, NULL } },
    { "field", { "--net siren:width=48,layers=3,omega=10,mod=shift,latent=32,inner=3,rates=learned,"
                 "order=first,sees=coords" X0_META, NULL } },
};

/* last_state -- n functions of the first grid just before the last evaluation; its time. */
static double last_state(const kit *k, int n, fd_real *x, fd_arena a)
{
    const char *steps = k->net->arch.inr.inner ? "--steps 15" : "--steps 50";    /* it is slow */
    args f = flags_read(&a, SAMPLE, "--batch 32 --denoise 0", steps), o = settle(&f, k);
    double *t = fd_raw(&a, double, o.steps + 1);
    need(a.st);
    times_set(k, &o, t, a.st);
    sample(k, &f, n, x, 0, 0, NULL, a);
    return t[o.steps];
}

/* ask -- what the network says of n last states on another space. */
static void ask(const kit *k, const fd_space *to, double time, int n, const fd_real *x, fd_real *y,
                fd_arena a)
{
    enum { AT_ONCE = 16 };
    const fd_net *net = fd_net_with(&a, k->net, k->opt->avg);
    const ptrdiff_t size = k->s.points;
    double t[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++) t[i] = time;
    for (int i = 0; i < n; i += AT_ONCE) {
        const int b = n - i < AT_ONCE ? n - i : AT_ONCE;
        fd_arena own = a;
        fd_tape tape = fd_tape_begin(&own, FD_EVAL);
        fd_var *u = fd_input(&tape, 3, (int[]){ b, 1, (int)size }, x + i * size);
        if (net && net->arch.inr.inner) {
            fd_real *z = fd_raw(&own, fd_real, b * net->arch.inr.latent);
            need(a.st);
            adapt(net, &k->s, t, b, x + i * size, z, own);
            u = fd_input(&tape, 2, (int[]){ b, net->arch.inr.latent }, z);
            u = fd_inr(net, &tape, to, b, NULL, t, u);
        }
        else u = fd_query(net, &tape, &k->s, u, t, to);
        need(a.st);
        memcpy(y + i * to->points, u->x, (size_t)(b * to->points) * sizeof *y);
    }
}

static void late_draw(const void *self, const trial *q, int g, int n, fd_real *x, fd_arena a)
{
    fd_real *y = fd_raw(&a, fd_real, n * q->s[0].points);
    need(a.st);
    double time = last_state(self, n, y, a);
    ask(self, &q->s[g], time, n, y, x, a);
}

/* scattered -- the energy distance to the exact law at places that are on no grid. */
static void scattered(const trial *q, const kit *const k[COUNT(made)], fd_arena a)
{
    const int n = q->n[0], points = (int)q->s[0].points;
    fd_space fine = fd_grid(&a, 1, (int[]){ FINEST }, NULL, NULL, 1);
    fd_real one[PLACES], weight[PLACES], at[PLACES], E[PLACES * 48];
    double where[PLACES];
    int place[FINEST];
    fd_perm(fd_seed(5), FINEST, place);
    for (int i = 0; i < PLACES; i++) {
        one[i] = 1, weight[i] = 1. / PLACES, where[i] = place[i] / (double)FINEST;
        at[i] = (fd_real)where[i];
    }
    fd_space cloud = fd_dense(NULL, PLACES, 1, one, weight, 1);
    cloud.at = at, cloud.bc[0] = FD_PERIODIC;
    fd_modes_at(&q->s[0], PLACES, where, NULL, E);
    fd_real *x = fd_raw(&a, fd_real, n * FINEST), *y = fd_raw(&a, fd_real, n * PLACES);
    fd_real *real = fd_raw(&a, fd_real, n * PLACES), *u = fd_raw(&a, fd_real, n * points);
    need(a.st);
    printf("\n%d places on no grid      energy distance to the exact law\n", PLACES);
    for (int i = -2; i < COUNT(made); i++) {
        const char *how = "asked there", *name = i < 0 ? "another exact set" : made[i].name;
        if (i < 0) {
            kinds_draw(&fine, fd_seed(i < -1 ? 8 : 9), n, x, a);
            for (int j = 0; j < n * PLACES; j++)
                y[j] = x[j / PLACES * FINEST + place[j % PLACES]];
        }
        else {
            fd_arena b = a;
            double time = last_state(k[i], n, u, b);
            if (i < 2) {                               /* a network that takes values wants grids */
                fd_real *v = fd_raw(&b, fd_real, n * points);
                need(b.st);
                if (i) ask(k[i], &q->s[0], time, n, u, v, b);
                else kit_draw(k[i], q, 0, n, v, b);
                fd_to_modes(&q->s[0], n, v, v, b);
                fd_gemm(0, 1, n, PLACES, points, 1, v, points, E, points, 0, y, PLACES, b);
                how = "by its waves";
            }
            else ask(k[i], &cloud, time, n, u, y, b);
        }
        need(a.st);
        if (i < -1) memcpy(real, y, (size_t)(n * PLACES) * sizeof *y);
        else printf("%-24s %-14s %.4f\n", name, i < 0 ? "" : how,
                    fd_energy_distance(&cloud, n, y, n, real));
        fflush(stdout);
    }
}

static void make(const trial *q, fd_arena a)
{
    const kit *k[COUNT(made)] = { NULL };
    for (int i = 0; i < COUNT(made); i++) {
        if (!made[i].flags[q->kind]) continue;
        k[i] = rival_trained(&a, q, made[i].name, made[i].flags[q->kind], &q->d);
        rival_draw(q, made[i].name, k[i]->net->arch.inr.inner ? late_draw : kit_draw, k[i], a);
        if (!strcmp(made[i].name, "hybrid")) rival_draw(q, "hybrid-late", late_draw, k[i], a);
    }
    if (q->kind == KINDS) scattered(q, k, a);
}

int main(int argc, char **argv) { return rivals_main("hybrid", argc, argv, make); }
