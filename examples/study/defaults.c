/* defaults.c -- which sampler should be the default of each process? Gaussian data, the exact model, the
 * law of what comes out by fd_exact_law: no sampling, no chance. Every scheme at every rule of times, at
 * equal evaluations of the model, for twelve laws of data and noise. */
#include "common.h"

enum { WAVES = 32, PER = 5, CASES = 12 };
static const char *const rules[PER] = { "uniform", "geometric", "rho", "rho:rho=3", "logsnr" };
static const struct { int scheme, evals; } schemes[] = {
    { FD_DDIM, 1 }, { FD_ANCESTRAL, 1 }, { FD_EULER_MARUYAMA, 1 }, { FD_EXPONENTIAL, 1 }, { FD_PF_EULER, 1 },
    { FD_PF_MULTISTEP, 1 }, { FD_PF_HEUN, 2 }, { FD_PF_MIDPOINT, 2 }, { FD_STOCHASTIC_HEUN, 2 }, { FD_PF_RK4, 4 } };
static const struct { const char *noise, *data; int n; } cases[CASES] = {
    { "band", "matern:nu=2.5,l=0.2", 24 }, { "band", "matern:nu=2.5,l=0.1", 24 },
    { "band", "matern:nu=2.5,l=0.3", 24 }, { "band", "matern:nu=1.5,l=0.1", 64 },
    { "band", "matern:nu=1.5,l=0.2", 64 }, { "band", "matern:nu=2.5,l=0.2", 64 },
    { "matern:nu=1.5,l=0.1", "matern:nu=2.5,l=0.2", 24 }, { "matern:nu=1.5,l=0.1", "matern:nu=2.5,l=0.3", 24 },
    { "matern:nu=1.5,l=0.1", "matern:nu=1.5,l=0.1", 24 }, { "matern:nu=1.5,l=0.1", "matern:nu=1.5,l=0.2", 64 },
    { "matern:nu=1.5,l=0.1", "matern:nu=2.5,l=0.2", 64 }, { "matern:nu=1.5,l=0.1", "matern:nu=1.5,l=0.3", 64 } };

/* distance -- what a sampler makes of case i: worst |log of the ratio of variances|, W2 over that of
 * nothing; the ratios by wave to r, where not NULL. 0: it cannot run. */
static int law_of(const spec *process, const args *o, int i, double *worst, double *w2, double *r, fd_arena a)
{
    int n = cases[i].n;
    kit k = { .process = *process };
    spec noise = spec_read(&t_cov, "noise", cases[i].noise), data = spec_read(&t_cov, "data", cases[i].data);
    k.s = fd_grid(&a, 1, &n, NULL, NULL, 1);
    k.noise = cov_build(&a, &k.s, &noise, NULL, 0);
    k.c0 = cov_build(&a, &k.s, &data, NULL, 0);
    k.p = process_build(&a, k.noise, process, 0);
    double *t = fd_raw(&a, double, o->steps + 1), var[2 * WAVES], sum = 0, all = 0;
    fd_process p;
    need(a.st);
    if (!times_fit(&k, o, &p)) return 0;
    times_set(&k, o, t, a.st);
    fd_sampler how = sampler_of(o, &k.p, fd_oracle_gauss(&a, &k.p, NULL, k.c0), t);
    how.cov = k.c0;
    fd_start_law(&how, NULL, var, a);
    fd_exact_law(&how, NULL, var, a);
    int failed = a.st->code;
    a.st->code = FD_OK;
    if (failed) return 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double c = k.c0->lam[j], e = sqrt(var[j]) - sqrt(c);
        fd_coef f = fd_law(&k.p, t[o->steps], j);
        if (!(k.noise->lam[j] > 0) || f.v * k.noise->lam[j] > .05 * f.m * f.m * c) continue;
        sum += e * e;
        all += c;
        *worst = fmax(*worst, fabs(log(var[j] / c)));
        if (r) r[(j + 1) / 2] = var[j] / c;
    }
    *w2 = fmax(*w2, sqrt(sum / all));
    return 1;
}

int main(int argc, char **argv)
{
    fd_status st;
    args o;
    prog = "defaults";
    options_read(&o, SAMPLE, "", 0, NULL);
    int evals = argc > 1 ? atoi(argv[1]) : 50;
    const char *start = argc > 2 ? argv[2] : "noise";
    o.start = spec_read(&t_start, "start", start);
    fd_arena a = arena_make(&o, &st);
    printf("process,scheme,times,evaluations,worst,w2,wave1,wave4,wave8,wave11\n");
    for (int p = 0; p < rows_of(&t_process); p++)
        for (int s = 0; s < COUNT(schemes); s++)
            for (int r = 0; r < PER; r++) {
                spec process = spec_read(&t_process, "process", t_process.rows[p].name);
                double worst = 0, w2 = 0, ratio[WAVES] = { 0 };
                int ok = 1;
                o.times = spec_read(&t_times, "times", rules[r]);
                o.scheme.row = schemes[s].scheme;
                o.steps = evals / schemes[s].evals;
                for (int i = 0; i < CASES && ok; i++) ok = law_of(&process, &o, i, &worst, &w2, i ? NULL : ratio, a);
                printf("%s,%s,%s,%d,", t_process.rows[p].name, fd_scheme_name(schemes[s].scheme), rules[r], evals);
                if (ok) printf("%.3g,%.3g,%.3g,%.3g,%.3g,%.3g\n", worst, w2, ratio[1], ratio[4], ratio[8], ratio[11]);
                else puts(",,,,,");
            }
    return finish();
}
