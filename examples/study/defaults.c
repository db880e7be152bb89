/* defaults.c -- which sampler should be the default of each process? The data are Gaussian, the
 * model is exact, and what comes out is known by fd_exact_law: no sampling, no chance. Every
 * scheme at every rule of times, at equal evaluations of the model, for eight laws of data and
 * noise on 24 and 64 points.
 *
 *   worst   the largest |log r| over all waves of all laws, r the variance of what comes out
 *           over that of the exact law at the last time: 0 for a sampler without an error
 *   w2      W2 to the data over their deviation, the largest of all laws
 *
 * Prints the default of each process with both starts, what it was before (50 uniform times of
 * ddim), and the five best; defaults.md says what was chosen. Status 1 where a default is not
 * nearly the best. */
#include "common.h"

enum { CASES = 8, BUDGETS = 3, BEST = 5, MOST = 100 };
static const double NEARLY = 0.05;
static const int budget[BUDGETS] = { 20, 50, MOST };
static const char *const rules[] = { "uniform", "geometric", "rho", "logsnr" };
static const struct { int scheme, evals; } schemes[] = {
    { FD_DDIM, 1 }, { FD_ANCESTRAL, 1 }, { FD_EULER_MARUYAMA, 1 }, { FD_EXPONENTIAL, 1 },
    { FD_PF_EULER, 1 }, { FD_PF_MULTISTEP, 1 }, { FD_PF_HEUN, 2 }, { FD_PF_MIDPOINT, 2 },
    { FD_STOCHASTIC_HEUN, 2 }, { FD_PF_RK4, 4 } };
static const struct { const char *noise, *data; int n; } cases[CASES] = {
    { "band", "matern:nu=2.5,l=0.1", 24 }, { "band", "matern:nu=2.5,l=0.2", 24 },
    { "band", "matern:nu=2.5,l=0.3", 24 }, { "band", "matern:nu=1.5,l=0.2", 64 },
    { "matern:nu=1.5,l=0.1", "matern:nu=1.5,l=0.1", 24 },
    { "matern:nu=1.5,l=0.1", "matern:nu=1.5,l=0.3", 24 },
    { "matern:nu=1.5,l=0.1", "matern:nu=2.5,l=0.2", 24 },
    { "matern:nu=1.5,l=0.1", "matern:nu=2.5,l=0.3", 64 } };

typedef struct { int scheme, rule, start; double worst[BUDGETS], w2[BUDGETS]; } result;

/* law_of -- raises worst and w2 to those of one case; 0: this sampler cannot run. */
static int law_of(const spec *process, const args *o, int which, double *worst, double *w2,
                  fd_arena a)
{
    int n = cases[which].n;
    kit k = { .process = *process };
    spec noise = spec_read(&t_cov, "noise", cases[which].noise);
    spec data = spec_read(&t_cov, "data", cases[which].data);
    fd_process p;
    double t[MOST + 1], var[64], d2 = 0, sum = 0;
    k.s = fd_grid(&a, 1, &n, NULL, NULL, 1);
    k.noise = cov_build(&a, &k.s, &noise, NULL, 0);
    k.c0 = cov_build(&a, &k.s, &data, NULL, 0);
    k.p = process_build(&a, k.noise, process, 0);
    need(a.st);
    if (!times_fit(&k, o, &p)) return 0;
    times_set(&k, o, t, a.st);
    fd_sampler how = sampler_of(o, &k.p, fd_oracle_gauss(&a, &k.p, NULL, k.c0), t);
    how.cov = k.c0;
    fd_start_law(&how, NULL, var, a);
    fd_exact_law(&how, NULL, var, a);
    int failed = a.st->code;
    a.st->code = FD_OK;
    for (ptrdiff_t j = 0; j < n && !failed; j++) {
        fd_coef f = fd_law(&k.p, t[o->steps], j);
        double c = k.c0->lam[j], lam = k.noise->lam[j], m2c = f.m * f.m * c;
        double e = sqrt(var[j]) - sqrt(c);
        if (!(lam > 0)) continue;
        double r = var[j] / (m2c * c / (m2c + f.v * lam));             /* D is the last step */
        *worst = fmax(*worst, r > 0 && r < INFINITY ? fabs(log(r)) : 99);
        d2 += e * e;
        sum += c;
    }
    *w2 = fmax(*w2, failed ? 99 : sqrt(d2 / sum));
    return !failed;
}

static int run(result *r, const spec *process, const args *flags, fd_arena a)
{
    args o = *flags;
    o.scheme.row = schemes[r->scheme].scheme;
    o.start.row = r->start;
    o.times = spec_read(&t_times, "times", rules[r->rule]);
    for (int b = 0; b < BUDGETS; b++) {
        o.steps = budget[b] / schemes[r->scheme].evals;
        for (int i = 0; i < CASES; i++)
            if (!law_of(process, &o, i, &r->worst[b], &r->w2[b], a)) return 0;
    }
    return 1;
}

static void print(const char *process, const char *what, const result *r)
{
    printf("%s,%s,%s,%s,%s", process, what, fd_scheme_name(schemes[r->scheme].scheme),
           rules[r->rule], t_start.rows[r->start].name);
    for (int b = 0; b < BUDGETS; b++) printf(",%.3g", r->worst[b]);
    for (int b = 0; b < BUDGETS; b++) printf(",%.3g", r->w2[b]);
    puts("");
}

static int by_worst(const void *x, const void *y)
{
    double a = ((const result *)x)->worst[1], b = ((const result *)y)->worst[1];
    return (a > b) - (a < b);
}

int main(void)
{
    enum { ALL_OF = COUNT(schemes) * COUNT(rules) };
    fd_status st;
    args o;
    int ok = 1;
    prog = "defaults";
    options_read(&o, SAMPLE, "", 0, NULL);
    fd_arena a = arena_make(&o, &st);
    puts("process,row,scheme,times,start,worst20,worst50,worst100,w2_20,w2_50,w2_100");
    for (int p = 0; p < rows_of(&t_process); p++) {
        const char *name = t_process.rows[p].name;
        spec process = spec_read(&t_process, "process", name);
        result all[ALL_OF], other = { 0 }, was = { 0 };
        int n = 0, chosen = -1;
        for (int i = 0; i < ALL_OF; i++) {
            all[n] = (result){ .scheme = i / COUNT(rules), .rule = i % COUNT(rules),
                               .start = sampled_by[p].start };
            n += run(&all[n], &process, &o, a);
        }
        qsort(all, (size_t)n, sizeof *all, by_worst);
        for (int i = 0; i < n; i++)
            if (schemes[all[i].scheme].scheme == sampled_by[p].scheme
                && all[i].rule == sampled_by[p].times)
                chosen = i;
        if (chosen < 0) die(1, "the default of %s cannot run", name);
        other = (result){ .scheme = all[chosen].scheme, .rule = all[chosen].rule,
                          .start = FD_START_MATCHED - sampled_by[p].start };
        print(name, "default", &all[chosen]);
        if (run(&other, &process, &o, a)) print(name, "other start", &other);
        if (run(&was, &process, &o, a)) print(name, "before", &was);
        for (int i = 0; i < BEST && i < n; i++) print(name, "best", &all[i]);
        fflush(stdout);
        ok &= all[chosen].worst[1] <= all[0].worst[1] + NEARLY;
    }
    puts(ok ? "pass" : "FAIL: a default is not nearly the best");
    int status = finish();
    return status ? status : !ok;
}
