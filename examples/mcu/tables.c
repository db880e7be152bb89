/* tables.c -- print mcu.h's tables as C, on a desktop. The network is a small Fourier operator that
 * learns the noise in noised draws of the data law. */
#include "fd.h"
#include "mcu.h"
#include <stdio.h>

static char mem[8 << 20];

static void table(const char *name, int n, const double *x)
{
    printf("const double %s[%d] = {", name, n);
    for (int i = 0; i < n; i++) printf("%s%a,", i % 4 ? " " : "\n    ", x[i]);
    printf("\n};\n");
}

/* the steps of an optimiser on pairs of a noised function and its noise */
static void train(fd_arena a, fd_net *f, const fd_space *s, const fd_process *p, const fd_cov *data)
{
    enum { B = 16, STEPS = 2000 };
    fd_opt *opt = fd_opt_new(&a, f, NULL);
    fd_real *x0 = fd_raw(&a, fd_real, B * MCU_N), *x = fd_raw(&a, fd_real, B * MCU_N);
    fd_real *eps = fd_raw(&a, fd_real, B * MCU_N);
    double t[B];
    for (int k = 0; k < STEPS && !a.st->code; k++) {
        fd_cov_draw(data, fd_seed(5), B * k, B, x0, a);
        fd_draw_times(p, FD_T_STRATIFIED, NULL, fd_seed(6), B * k, B, t, a.st);
        fd_perturb(p, fd_seed(7), B * k, B, x0, t, x, eps, a);
        fd_tape tape = fd_tape_begin(&a, FD_GRAD);
        fd_var *y = fd_forward(f, &tape, s, fd_input(&tape, 3, (int[]){ B, 1, MCU_N }, x), t);
        fd_var *loss = fd_mse_loss(&tape, s, y, eps, NULL);
        fd_backward(&tape, loss);
        fd_opt_step(opt, f, a.st);
        if (loss && k % 500 == 0) fprintf(stderr, "step %d, loss %.3f\n", k, (double)loss->x[0]);
        fd_tape_end(&tape);
    }
    if (opt) memcpy(f->w, opt->avg, (size_t)f->count * sizeof *f->w);
}

int main(void)
{
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ MCU_N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *noise = fd_cov_matern(&a, &s, 1, .2, 1.5), *data = fd_cov_matern(&a, &s, 1, .3, 2.5);
    fd_process p = fd_vp(noise, 0.1, 20);
    double t[MCU_STEPS + 1];
    fd_times(&p, FD_LOGSNR, 0, MCU_STEPS, t, &st);
    fd_net *f = fd_net_new(&a, &mcu_arch, fd_seed(8));
    if (f) train(a, f, &s, &p, data);
    char why[160];
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "tables: %s\n", why), 1;
    printf("#include \"fd.h\"\n#include \"mcu.h\"\n");
    table("mcu_noise", MCU_N, noise->lam);
    table("mcu_data", MCU_N, data->lam);
    table("mcu_times", MCU_STEPS + 1, t);
    printf("const fd_real mcu_weights[] = {");
    for (ptrdiff_t i = 0; i < f->count; i++)
        printf("%s%af,", i % 6 ? " " : "\n    ", (double)f->w[i]);
    printf("\n};\nconst int mcu_count = %d;\n", (int)f->count);
    return 0;
}
