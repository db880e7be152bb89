/* test_bridges.c -- linear equations, their bridges and controls, against closed forms. */
#include "test.h"

/* One mode: the line, a point of it, X_k = x. */
static fd_linear scalar(fd_arena *a, double rate, double q, double T)
{
    fd_space s = fd_grid(a, 1, (int[]){ 1 }, NULL, NULL, 1);
    return fd_linear_heat(a, fd_cov_table(a, &s, &q), 0, rate, T);
}

static double g_of(double a, double h) { return a == 0 ? h : (1 - exp(-2 * a * h)) / (2 * a); }

/* x -> slope x + shift, of a move of the scalar process */
typedef void move(const fd_linear *l, double s, double t, fd_real *x, const void *what, fd_arena a);
static void affine(move *f, const fd_linear *l, double s, double t, const void *what, double *slope,
                   double *shift, fd_arena a)
{
    fd_real y[2] = { 0, 1 };
    for (int i = 0; i < 2; i++) f(l, s, t, &y[i], what, a);
    *shift = (double)y[0], *slope = (double)y[1] - (double)y[0];
}

static void to_end(const fd_linear *l, double s, double t, fd_real *x, const void *end, fd_arena a)
{
    fd_bridge_step(l, s, t, 1, x, end, NULL, a);
}

static void drift_to(const fd_linear *l, double s, double t, fd_real *x, const void *end,
                     fd_arena a)
{
    (void)t;
    fd_bridge_drift(l, s, 1, x, end, x, a);
}

typedef struct { fd_obs o; double y; } seen;
static void pulled(const fd_linear *l, double s, double t, fd_real *x, const void *what, fd_arena a)
{
    const seen *w = what;
    fd_real end;
    (void)t;
    fd_bridge_end(l, s, &w->o, &w->y, NULL, 0, 1, x, &end, a);
    fd_bridge_drift(l, s, 1, x, &end, x, a);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Euler's errors are of order 1: the numbers of the derivation, absolute */
static void euler_errors(fd_arena a)
{
    const double q = .8, T = 1.3, x0 = .4, xT = -.9;
    static const double mid[] = { .01749, .00847, .00417, .00207 };
    fd_linear l = scalar(&a, 1.7, q, T);
    for (int i = 0, n = 20; i < 4; i++, n *= 2) {
        double m = x0, V = 0, slope, shift, h = T / n, half = 0;
        for (int k = 0; k < n; k++) {
            if (k == n / 2) half = V;
            affine(drift_to, &l, k * h, T, &(fd_real){ (fd_real)xT }, &slope, &shift, a);
            m += h * (slope * m + shift), V = (1 + h * slope) * (1 + h * slope) * V + q * h;
        }
        NEAR(fabs(half - q * pow(sinh(1.7 * T / 2), 2) / (1.7 * sinh(1.7 * T))), mid[i],
             TOL(6e-6, 2e-5), "Euler's variance in the middle, %d steps", n);
        if (i > 1) continue;
        NEAR(V - q * h, i ? 4.26e-8 : 1.3033e-6, TOL(6e-10, 2e-6),
             "its variance at the end over q h, %d steps", n);
        if (!i) NEAR(fabs(m - xT), 5.02e-3, TOL(6e-6, 2e-5), "its mean at the end");
    }
}

static void steps(void)
{
    static const double rates[] = { 0, 1.7, 1e-9, 40, -.8 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const double q = .8, T = 1.3, x0 = .4, xT = -.9, t = .5, u = .9, tol = TOL(1e-12, 2e-6);
    for (int i = 0; i < 5; i++) {
        const double r = rates[i];
        fd_linear l = scalar(&a, r, q, T);
        fd_real x = (fd_real)x0, end = (fd_real)xT, one = 1, y = 0;
        double decay, var, S, m = x0, V = 0, at[4] = { 0, t, u, T };
        fd_linear_law(&l, .2, t, &decay, &var, a);
        NEAR(decay, exp(-r * (t - .2)), 1e-14, "decay, a = %g", r);
        NEAR(var, q * (r == 1e-9 ? .3 : g_of(r, t - .2)), 1e-9, "variance, a = %g", r);
        fd_linear_step(&l, 0, t, 1, &x, NULL, a);
        fd_linear_step(&l, t, u, 1, &x, NULL, a);
        NEAR((double)x, x0 * exp(-r * u), tol, "mean of two steps, a = %g", r);
        fd_linear_step(&l, 0, u, 1, &y, &one, a);
        S = (double)y * (double)y * q;
        fd_linear_law(&l, 0, u, NULL, &var, a);
        NEAR(S, var, tol, "noise of a step, a = %g", r);
        /* bridge: mean, variance, by steps */
        for (int k = 0; k < 3; k++) {
            double slope, shift;
            affine(to_end, &l, at[k], at[k + 1], &end, &slope, &shift, a);
            y = 0;
            fd_bridge_step(&l, at[k], at[k + 1], 1, &y, &(fd_real){ 0 }, &one, a);
            m = slope * m + shift, V = slope * slope * V + q * (double)y * (double)y;
            double h = at[k + 1], A = r == 0
                || r == 1e-9 ? (T - h) / T : sinh(r * (T - h)) / sinh(r * T);
            double B = r == 0 || r == 1e-9 ? h / T : sinh(r * h) / sinh(r * T);
            NEAR(m, A * x0 + B * xT, tol, "mean of the bridge at %g, a = %g", h, r);
            NEAR(V, r == 0 || r == 1e-9 ? q * h * (T - h) / T
                 : q * sinh(r * h) * sinh(r * (T - h)) / (r * sinh(r * T)), tol,
                 "variance of the bridge at %g, a = %g", h, r);
        }
        if (fabs(r) > 1e-6) {
            double slope, shift;
            affine(drift_to, &l, t, T, &end, &slope, &shift, a);
            NEAR(slope, -r / tanh(r * (T - t)), TOL(1e-11, 3e-4), "slope of the drift, a = %g", r);
            NEAR(shift, r * xT / sinh(r * (T - t)), TOL(1e-11, 1e-5), "its shift, a = %g", r);
        }
    }
    /* e^{aT} is far beyond numbers */
    fd_linear stiff = scalar(&a, 1e5, q, T);
    fd_real x = 1, end = 2, one = 1;
    fd_bridge_step(&stiff, 0, T / 2, 1, &x, &end, &one, a);
    NEAR((double)x, sqrt(1 / 2e5), 1e-6, "a = 1e5: the stationary law in the middle");
    fd_bridge_step(&stiff, T / 2, T, 1, &x, &end, &one, a);
    NEAR((double)x, 2, TOL(1e-14, 1e-6), "and the end at the end");
    OK(!st.code, "no error");

    euler_errors(a);
    test_free();
}

/* ---- Functions: the same path on every grid -------------------------------------------------- */

static void grids(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_real keep[3][16];
    double cost[3][2][2];
    for (int g = 0; g < 3; g++) {
        int n = (int[]){ 16, 32, 49 }[g];
        fd_space s = fd_grid(&a, 1, &n, NULL, (int[]){ FD_DIRICHLET }, 1);
        fd_cov *Q = fd_cov_power(&a, &s, 1, 1, 1), *rough = fd_cov_power(&a, &s, 1, 1, .5);
        fd_linear l = fd_linear_heat(&a, Q, .1, .2, 1.5);
        fd_real *x = fd_new(&a, fd_real, 2 * n), *end = fd_raw(&a, fd_real, 2 * n);
        fd_real *xi = fd_raw(&a, fd_real, 2 * n);
        for (int i = 0; i < 2 * n && xi; i++) {
            double u = fd_coord(&s, 0, i % n);
            x[i] = (fd_real)sin(acos(-1) * u),
                end[i] = (fd_real)(i < n ? u * (1 - u) : sin(3 * acos(-1) * u));
        }
        /* an end of finitely many modes is the same on all grids */
        fd_space few = fd_grid(&a, 1, (int[]){ 15 }, NULL, (int[]){ FD_DIRICHLET }, 1);
        fd_real *low = fd_raw(&a, fd_real, 2 * n), *z = fd_raw(&a, fd_real, 30);
        for (int i = 0; i < 30 && z; i++) z[i] = (fd_real)cos(3. * i);
        fd_resample(&few, &s, 2, z, low, a);
        for (int k = 0; k < 4; k++) {
            fd_cov_draw(Q, fd_stream(fd_seed(3), 'x', (uint32_t)k), 0, 2, xi, a);
            fd_bridge_step(&l, k * .3, (k + 1) * .3, 2, x, low, xi, a);
        }
        fd_space sixteen = fd_grid(&a, 1, (int[]){ 15 }, NULL, (int[]){ FD_DIRICHLET }, 1);
        fd_resample(&s, &sixteen, 1, x + n, keep[g], a);
        if (g) NEAR(test_maxdiff(15, keep[g], keep[0]), 0, TOL(1e-13, 2e-5),
                    "the same path on %d points", n);
        fd_bridge_step(&l, 1.2, 1.5, 2, x, low, xi, a);
        NEAR(test_maxdiff(2 * n, x, low), 0, TOL(1e-13, 1e-5), "it ends in the end on %d points",
             n);
        fd_linear soft = fd_linear_heat(&a, rough, .1, .2, 1.5);
        for (int i = 0; i < n && xi; i++) x[i] = 0, low[i] = (fd_real)(fd_coord(&s, 0, i) > .5);
        cost[g][0][0] = fd_bridge_cost(&l, x, end + n, &cost[g][0][1], a);
        cost[g][1][0] = fd_bridge_cost(&soft, x, low, &cost[g][1][1], a);
    }
    OK(!st.code, "no error");
    NEAR(cost[2][0][0], cost[0][0][0], TOL(1e-11, 1e-3) * cost[0][0][0],
         "the cost of a smooth end has a limit");
    NEAR(cost[2][0][1], 0, TOL(1e-12, 1e-3) * cost[0][0][0], "and none of it is in high waves");
    OK(cost[2][1][0] > 2 * cost[0][1][0], "that of a jump grows: %g, %g", cost[0][1][0],
       cost[2][1][0]);
    OK(cost[2][1][1] > .3 * cost[2][1][0], "in high waves: %g of %g", cost[2][1][1], cost[2][1][0]);
    test_free();
}

/* whole paths, and bridges with times of their own, are the steps */
static void paths(void)
{
    enum { P = 12, B = 3, STEPS = 5 };
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    fd_space s = fd_grid(&a, 1, (int[]){ P }, NULL, (int[]){ FD_NEUMANN }, 2);
    fd_cov *Q = fd_cov_matern(&a, &s, 1, .3, 1);
    fd_linear l = fd_linear_heat(&a, Q, .1, .5, 1.5);
    const int n = 2 * P;
    fd_real x[B * 2 * P], end[B * 2 * P], xi[B * 2 * P], y[B * 2 * P],
        path[B * (STEPS + 1) * 2 * P];
    const double t[B] = { .2, 1.5, .9 };
    fd_cov_draw(Q, fd_seed(1), 0, B, x, a), fd_cov_draw(Q, fd_seed(2), 0, B, end, a);
    fd_cov_draw(Q, fd_seed(3), 0, B, xi, a);
    fd_bridge_draw(&l, B, t, x, end, xi, y, a);
    for (int i = 0; i < B; i++) {
        fd_real one[2 * P];
        memcpy(one, x + i * n, sizeof one);
        fd_bridge_step(&l, 0, t[i], 1, one, end + i * n, xi + i * n, a);
        NEAR(test_maxdiff(n, one, y + i * n), 0, TOL(1e-14, 1e-6), "a bridge at %g", t[i]);
    }
    fd_bridge_path(&l, STEPS, fd_seed(7), 4, B, x, end, path, a);
    for (int k = 0; k <= STEPS; k++) {
        if (k) {
            fd_cov_draw(Q, fd_stream(fd_seed(7), 'w', (uint32_t)k), 4, B, xi, a);
            fd_bridge_step(&l, 1.5 * (k - 1) / STEPS, k < STEPS ? 1.5 * k / STEPS : 1.5, B, x, end,
                           xi, a);
        }
        for (int i = 0; i < B; i++)
            NEAR(test_maxdiff(n, path + (i * (STEPS + 1) + k) * n, x + i * n), 0, TOL(1e-13, 5e-6),
                 "path %d at step %d", i, k);
    }
    /* rates below 0, however large: a bridge is even in its rate */
    for (int k = 0; k < 3; k++) {
        const double rate = (double[]){ .5, 40, 2000 }[k];
        fd_real z[3][2] = { { 0 } };
        for (int sign = 0; sign < 2; sign++) {
            fd_linear one = scalar(&a, sign ? -rate : rate, .8, 1.3);
            fd_real x0 = (fd_real).4, to = (fd_real)-.9, noise = (fd_real).3;
            z[0][sign] = x0, z[1][sign] = x0;
            fd_bridge_step(&one, .2, .7, 1, &z[0][sign], &to, &noise, a);
            fd_bridge_drift(&one, .7, 1, &z[1][sign], &to, &z[1][sign], a);
            z[2][sign] = (fd_real)fd_bridge_cost(&one, &x0, &to, NULL, a);
        }
        NEAR((double)z[0][1], (double)z[0][0], TOL(1e-12, 1e-5), "a step with the rate %g", -rate);
        NEAR((double)z[1][1], (double)z[1][0], TOL(1e-10, 1e-4) * rate, "its drift");
        OK(isfinite((double)z[2][1]), "its cost is a number: %g", (double)z[2][1]);
    }
    fd_linear grows = scalar(&a, -.5, .8, 1.3);
    fd_real x0 = (fd_real).4, to = (fd_real)-.9;
    NEAR(fd_bridge_cost(&grows, &x0, &to, NULL, a), pow(-.9 - exp(.65) * .4, 2) / (.8 * expm1(1.3)),
         TOL(1e-12, 1e-5), "cost of an end where the equation grows");
    OK(!st.code, "status");
    fd_bridge_draw(&l, B, (double[]){ .2, 0, .9 }, x, end, xi, y, a);
    OK(st.code == FD_EARG, "a time of 0");
    st.code = FD_OK;
    fd_bridge_path(&l, 0, fd_seed(7), 0, B, x, end, path, a);
    OK(st.code == FD_EARG, "no steps");
    test_free();
}

/* ---- End conditions -------------------------------------------------------------------------- */

/* Ends with the law of a mixture: against quadrature of mu(z)/pi_T(z | x0) p(z | x) */
static void ends_mixture(fd_arena a)
{
    enum { B = 20000 };
    const double q = .8, r = 1.7, T = 1.3, x = .7, x0 = .4, t = .5;
    const double E = exp(-r * (T - t)), V = q * g_of(r, T - t);
    fd_linear l = scalar(&a, r, q, T);
    fd_rng rng = fd_seed(4);
    fd_real at = (fd_real)x, *X = fd_raw(&a, fd_real, B), *Y = fd_raw(&a, fd_real, B);
    if (!Y) return;
    const double weight[2] = { .3, .7 }, c[2] = { .04, .25 };
    fd_real means[2] = { -1, (fd_real)1.2 };
    for (int point = 0; point < 2; point++) {
        const fd_cov *each[2] = { fd_cov_table(&a, &l.noise->s, &c[0]),
                                  fd_cov_table(&a, &l.noise->s, &c[1]) };
        fd_mix law = { 2, weight, means, point ? NULL : each };
        fd_real start = (fd_real)x0, got;
        double mass = 0, first = 0, second = 0, VT = q * g_of(r, T), ET = exp(-r * T);
        for (int i = 0; i < 40001; i++) {
            double z = -5 + i * 10. / 40000, mu = 0,
                ratio = exp(-.5 * pow(z - E * x, 2) / V + .5 * pow(z - ET * x0, 2) / VT);
            for (int j = 0; j < 2; j++)
                mu += weight[j] / sqrt(c[j]) * exp(-.5 * pow(z - (double)means[j], 2) / c[j]);
            if (point) {
                mu = 0;
                for (int j = 0; j < 2; j++) mu += weight[j] * (fabs(z - (double)means[j]) < 1e-6);
            }
            mass += mu * ratio, first += z * mu * ratio, second += z * z * mu * ratio;
        }
        fd_bridge_end_mix(&l, t, &start, &law, NULL, 0, 1, &at, &got, a);
        NEAR((double)got, first / mass, TOL(1e-6, 1e-5), "expected end, a mixture%s",
             point ? " of points" : "");
        for (int b = 0; b < B; b++) Y[b] = at;
        fd_bridge_end_mix(&l, t, &start, &law, &rng, 0, B, Y, X, a);
        double mean = 0, var = 0, v = second / mass - pow(first / mass, 2);
        for (int b = 0; b < B; b++) mean += (double)X[b] / B;
        for (int b = 0; b < B; b++) var += pow((double)X[b] - mean, 2) / B;
        NEAR(mean, first / mass, 4.5 * sqrt(v / B), "mean of drawn ends, a mixture");
        NEAR(var, v, .06 * v, "their variance");
        fd_bridge_end_mix(&l, 0, &start, &law, NULL, 0, 1, &start, &got, a);
        NEAR((double)got, -.3 + .7 * 1.2, TOL(1e-12, 1e-6), "at the start the end has its own law");
    }
}

static void ends(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 24, &st);
    const double q = .8, r = 1.7, T = 1.3, x = .7, t = .5, tol = TOL(1e-11, 3e-6);
    fd_linear l = scalar(&a, r, q, T);
    seen w = { fd_obs_pick(&a, &l.noise->s, 1, (ptrdiff_t[]){ 0 }), 1.1 };
    fd_obs_noise(&a, &w.o, .3);
    fd_real at = (fd_real)x, end;
    double E = exp(-r * (T - t)), V = q * g_of(r, T - t), slope, shift, k = V / (V + .09);
    fd_bridge_end(&l, t, &w.o, &w.y, NULL, 0, 1, &at, &end, a);
    NEAR((double)end, E * x + k * (1.1 - E * x), tol, "expected end, one value of it observed");
    affine(pulled, &l, t, T, &w, &slope, &shift, a);
    NEAR(slope * x + shift, -r * x + q * E / (V + .09) * (1.1 - E * x), tol,
         "the drift is -A x + Q E A (A V A + G)^-1 (y - A E x)");

    /* a field: against the joint law of X_T and y, in draws and in the mean */
    int n = 12, M = 3, B = 20000;
    fd_space s = fd_grid(&a, 1, &n, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *Q = fd_cov_matern(&a, &s, 1, .3, 1.5);
    fd_linear f = fd_linear_heat(&a, Q, .05, .4, T);
    fd_obs o = fd_obs_points(&a, &s, M, (double[]){ .2, .5, .77 }, NULL);
    fd_obs_noise(&a, &o, .2);
    double y[3] = { 1, -.3, .5 }, *decay = fd_raw(&a, double, 2 * n);
    fd_real *X = fd_raw(&a, fd_real, B * n), *Y = fd_raw(&a, fd_real, B * n);
    fd_real *m = fd_raw(&a, fd_real, n), *sd = fd_raw(&a, fd_real, n);
    fd_linear_law(&f, t, T, decay, decay + n, a);
    for (int i = 0; i < B * n && sd; i++) X[i] = (fd_real)sin(3. * (i % n) / n);
    fd_to_modes(&s, 1, X, m, a);
    for (int i = 0; i < n; i++) m[i] = (fd_real)(decay[i] * (double)m[i]);
    fd_from_modes(&s, 1, m, m, a);
    fd_cov *left = fd_cov_table(&a, &s, decay + n);
    fd_posterior *p = fd_posterior_new(&a, m, left, &o, y);
    fd_posterior_std(p, sd, a);
    fd_bridge_end(&f, t, &o, y, NULL, 0, 1, X, Y, a);
    NEAR(test_maxdiff(n, Y, p->mean), 0, TOL(1e-12, 1e-5),
         "the expected end is the posterior's mean");
    fd_rng rng = fd_seed(4);
    fd_bridge_end(&f, t, &o, y, &rng, 0, B, X, Y, a);
    for (int i = 0; i < n; i += 5) {
        double mean = 0, var = 0;
        for (int b = 0; b < B; b++) mean += (double)Y[b * n + i] / B;
        for (int b = 0; b < B; b++) var += pow((double)Y[b * n + i] - mean, 2) / B;
        NEAR(mean, (double)p->mean[i], 4.5 * (double)sd[i] / sqrt(B), "mean of drawn ends at %d",
             i);
        NEAR(var, pow((double)sd[i], 2), 4.5 * pow((double)sd[i], 2) * sqrt(2. / B),
             "their variance");
    }
    fd_real part[12];
    fd_bridge_end(&f, t, &o, y, &rng, 7, 1, X, part, a);
    NEAR(test_maxdiff(n, part, Y + 7 * n), 0, 0, "draw 7 alone is draw 7");

    ends_mixture(a);
    OK(!st.code, "no error");
    test_free();
}

/* ---- Control --------------------------------------------------------------------------------- */

/* the cost of the best control of the continuous problem under Euler (or with exact = 1 steps that
 * are exact for a control held constant), by the moments of an affine feedback that is read off the
 * code */
static double cost_of(const fd_linear *l, const seen *w, double x0, int n, int exact, fd_arena a)
{
    double m = x0, V = 0, sum = 0, h = l->T / n, r = l->a[0], q = l->noise->lam[0], k, c,
        G = w->o.sd * w->o.sd;
    for (int i = 0; i < n; i++) {
        affine(pulled, l, i * h, l->T, w, &k, &c, a);
        k += r;                                                        /* sqrt(q) u = drift + a x */
        sum += .5 * h / q * (k * k * V + pow(k * m + c, 2));
        double F = exact ? exp(-r * h) : 1 - r * h, B = exact ? (1 - exp(-r * h)) / r : h;
        V = (F + B * k) * (F + B * k) * V + (exact ? q * g_of(r, h) : q * h);
        m = F * m + B * (k * m + c);
    }
    return sum + .5 * (V + pow(w->y - m, 2)) / G;
}

/* The best control constant over each of n Euler steps, by dynamic programming: V_k = P (x -
 * c)^2/2 + d. It is below the value of the continuous problem, but not below the bound under
 * Euler. */
static void control_constant(const fd_linear *l, const int steps[3], fd_arena a)
{
    const fd_real x0 = (fd_real).4;
    static const double best[3] = { 5.85480521575, 5.93249500074, 5.94683996960 };
    seen far = { fd_obs_pick(&a, &l->noise->s, 1, (ptrdiff_t[]){ 0 }), 2.5 };
    fd_obs_noise(&a, &far.o, sqrt(.3));
    for (int k = 0; k < 3; k++) {
        double P = 1 / .3, c = 2.5, d = 0, h = 1.3 / steps[k], F = 1 - 1.7 * h;
        for (int i = 0; i < steps[k]; i++)
            d += .5 * P * .8 * h, P = F * F * P / (1 + P * .8 * h), c /= F;
        d += .5 * P * pow(.4 - c, 2);
        NEAR(d, best[k], 1e-9, "the best control of %d Euler steps", steps[k]);
        double bound = fd_control_value(l, steps[k], &far.o, &far.y, &x0, a);
        OK(bound < d && d < 5.9516 && bound > d - 2 * h * d,
           "bound %.5f below %.5f, below the value", bound, d);
    }
}

/* Schroedinger's covariance, and the half bridge: matching with Cov(X_0, X_T) = cov, the expected
 * end is affine, and the equation with it in place of the end has the moments of the interpolation
 * at all times. */
static void control_matching(const fd_linear *l, fd_arena a)
{
    double s0 = 1.2, s1 = .7, cov;
    fd_schroedinger_cov(l, &s0, &s1, &cov, a);
    NEAR(cov, .2925806024, 1e-10, "Schroedinger covariance");
    /* the half bridge: matching with Cov(X_0, X_T) = cov, the expected end is affine, and the
     * equation with it in place of the end has the moments of the interpolation at all times */
    for (int i = 0; i < 5; i++) {
        double m0 = .3, m1 = -.5, t = .1 + .25 * i, d = 1e-4, mom[3][2], r = 1.7, q = .8, T = 1.3,
            slope, shift, c = 0, v = 0, m = 0;
        for (int e = 0; e < 3; e++) {
            double at = t + (e - 1) * d, A0 = sinh(r * (T - at)) / sinh(r * T),
                A1 = sinh(r * at) / sinh(r * T);
            mom[e][0] = A0 * m0 + A1 * m1;
            mom[e][1] = A0 * A0 * s0 * s0 + A1 * A1 * s1 * s1 + 2 * A0 * A1 * cov
                + q * sinh(r * at) * sinh(r * (T - at)) / (r * sinh(r * T));
            if (e == 1) c = A0 * cov + A1 * s1 * s1, m = mom[1][0], v = mom[1][1];
        }
        fd_real z[2] = { 0, 1 }, f[2];
        for (int e = 0; e < 2; e++) {
            f[e] = (fd_real)(m1 + c / v * ((double)z[e] - m));
            fd_bridge_drift(l, t, 1, &z[e], &f[e], &f[e], a);
        }
        shift = (double)f[0], slope = (double)f[1] - (double)f[0];
        NEAR(slope * m + shift, (mom[2][0] - mom[0][0]) / (2 * d), TOL(1e-6, 1e-4),
             "bridge matching: the mean moves as it should, t = %g", t);
        NEAR(2 * slope * v + q, (mom[2][1] - mom[0][1]) / (2 * d), TOL(1e-6, 1e-4),
             "and the variance, t = %g", t);
    }
}

static void control(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_linear l = scalar(&a, 1.7, .8, 1.3);
    const double tol = TOL(1e-10, 2e-6);
    static const struct { double y, var, value, bound[3], euler[2], exact[3]; } row[2] = {
        { 1, .1, 1.97551755949, { 0, 1.97145981918, 1.97450617646 },
          { 1.98489599878, 1.97771361203 }, { 0, 1.98860717041, 1.9787041129 } },
        { 2.5, .3, 5.95160555183, { 0, 0, 0 }, { 0, 0 },
          { 5.97413540433, 5.95430770992, 5.95219955681 } } };
    static const int steps[3] = { 20, 100, 400 };
    fd_real x0 = (fd_real).4;
    for (int i = 0; i < 2; i++) {
        seen w = { fd_obs_pick(&a, &l.noise->s, 1, (ptrdiff_t[]){ 0 }), row[i].y };
        fd_obs_noise(&a, &w.o, sqrt(row[i].var));
        NEAR(fd_control_value(&l, 0, &w.o, &w.y, &x0, a), row[i].value, tol * 10,
             "value of the control problem, y = %g", row[i].y);
        for (int k = 0; k < 3; k++) {
            if (row[i].bound[k] > 0)
                NEAR(fd_control_value(&l, steps[k], &w.o, &w.y, &x0, a), row[i].bound[k], tol * 10,
                     "bound under Euler, %d steps", steps[k]);
            if (k && row[i].euler[k - 1] > 0)
                NEAR(cost_of(&l, &w, .4, steps[k], 0, a), row[i].euler[k - 1], TOL(3e-8, 1e-4),
                     "cost under Euler, %d steps", steps[k]);
            if (row[i].exact[k] > 0)
                NEAR(cost_of(&l, &w, .4, steps[k], 1, a), row[i].exact[k], TOL(3e-8, 1e-4),
                     "cost of exact steps, %d", steps[k]);
        }
    }

    control_constant(&l, steps, a);
    /* the trap: from a random start control tilts the end given the start only, and the end's law
     * is not the posterior: e = .6, V = .5, Gamma = .3, s0 = 1, y = 1 */
    fd_linear o = scalar(&a, -log(.6), 2 * -log(.6) * .5 / (1 - .36), 1);
    seen w = { fd_obs_pick(&a, &o.noise->s, 1, (ptrdiff_t[]){ 0 }), 1 };
    fd_obs_noise(&a, &w.o, sqrt(.3));
    fd_real in[2] = { 0, 1 }, end[2];
    for (int e = 0; e < 2; e++)
        fd_bridge_end(&o, 0, &w.o, &w.y, NULL, 0, 1, &in[e], &end[e], a);
    double k = (double)end[1] - (double)end[0];
    NEAR((double)end[0], .625, TOL(1e-12, 1e-6), "controlled from a random start: mean");
    NEAR(k * k + .5 * .3 / .8, .238, 5e-4, "its variance, not the posterior's .222");
    NEAR((.36 + .5) / (.36 + .5 + .3), .741, 5e-4, "which has the mean .741");

    control_matching(&l, a);
    OK(!st.code, "no error");
    test_free();
}

/* ---- Errors ---------------------------------------------------------------------------------- */

#define FAILS(call, what, why) \
    do { call; OK(a.st->code == (what), why); a.st->code = FD_OK; } while (0)

/* equations that cannot be, and times outside them */
static void linear_errors(const fd_linear *l, fd_arena a)
{
    const fd_space s = fd_grid(&a, 1, (int[]){ 4 }, NULL, (int[]){ FD_NEUMANN }, 1);
    const fd_space ring = fd_grid(&a, 1, (int[]){ 4 }, NULL, NULL, 1), none = { .nd = 0 };
    const fd_linear noiseless = { NULL, NULL, 1 }, endless = { l->noise, NULL, INFINITY };
    fd_real x = 0;
    double value = 1;
    FAILS(scalar(&a, 1, 1, 0), FD_EARG, "T = 0");
    FAILS(scalar(&a, NAN, 1, 1), FD_EARG, "a rate that is no number");
    OK(fd_linear_heat(&a, NULL, 1, 0, 1).T == 0 && !a.st->code, "heat without noise");
    FAILS(fd_linear_heat(&a, l->noise, 1, NAN, 1), FD_EARG, "c that is no number");
    FAILS(fd_linear_heat(&a, l->noise, 1, 0, INFINITY), FD_EARG, "T without end");
    FAILS(fd_linear_dbfs(&a, &s, 1, 0), FD_EARG, "DBFS with T = 0");
    FAILS(fd_linear_dbfs(&a, &s, 0, 1), FD_EARG, "and without energy");
    FAILS(fd_linear_dbfs(&a, &s, INFINITY, 1), FD_EARG, "or with too much");
    FAILS(fd_linear_dbfs(&a, &none, 1, 1), FD_EARG, "and without a grid");
    FAILS(fd_linear_dbfs(&a, &ring, 1, 1), FD_EARG, "on other boundaries");
    FAILS(fd_linear_law(&noiseless, 0, 1, NULL, NULL, a), FD_EARG, "no noise");
    FAILS(fd_linear_law(&endless, 0, 1, NULL, NULL, a), FD_EARG, "no end");
    FAILS(fd_linear_law(l, -.1, 1, NULL, NULL, a), FD_EARG, "a time before 0");
    FAILS(fd_linear_law(l, NAN, 1, NULL, NULL, a), FD_EARG, "no time");
    FAILS(fd_linear_step(l, .5, .5, 1, &x, NULL, a), FD_EARG, "a step of length 0");
    FAILS(fd_semilinear_step(l, .5, .4, 1, &x, NULL, NULL, a), FD_EARG, "a step back");
    FAILS(fd_schroedinger_cov(&noiseless, &value, &value, &value, a), FD_EARG, "Schroedinger");
    FD_FAIL(a.st, FD_EIO, "here", "before");
    OK(fd_linear_heat(&a, l->noise, 1, 0, 1).T == 0 && fd_linear_dbfs(&a, &s, 1, 1).T == 0,
       "no process after a failure");
    fd_linear_step(l, 0, 1, 1, &x, NULL, a);
    OK(x == 0 && value == 1 && a.st->code == FD_EIO, "and no step");
    a.st->code = FD_OK;
}

/* ends that cannot be reached, or are not seen as they must be */
static void bridge_errors(const fd_linear *l, fd_arena a)
{
    const fd_linear flat = scalar(&a, 1, 0, 1), noiseless = { NULL, NULL, 1 };
    const fd_mix none = { 0, NULL, NULL, NULL };
    const double end = 1;
    fd_obs o = fd_obs_pick(&a, &l->noise->s, 1, (ptrdiff_t[]){ 0 });
    fd_real x = 0, y = 1;
    double value = 1;
    FAILS(fd_bridge_step(l, .5, 1.1, 1, &x, &y, NULL, a), FD_EARG, "beyond T");
    FAILS(fd_bridge_drift(l, 1, 1, &x, &y, &x, a), FD_EARG, "the drift at T");
    FAILS(value = fd_bridge_cost(&flat, &x, &y, NULL, a), FD_EDATA, "an end that no noise reaches");
    OK(isnan(value), "has no cost");
    FAILS(value = fd_control_value(l, 0, &o, &end, &x, a), FD_EARG, "a cost without noise");
    FAILS(fd_bridge_end_mix(l, .5, &x, &none, NULL, 0, 1, &x, &y, a), FD_EARG,
          "a mixture of nothing");
    NEAR((double)x, 0, 0, "nothing was written");
    FAILS(fd_bridge_path(&noiseless, 2, fd_seed(1), 0, 1, &x, &y, &x, a), FD_EARG, "a path");
    FAILS(value = fd_bridge_cost(&noiseless, &x, &y, NULL, a), FD_EARG, "a cost");
    OK(isnan(value), "which is none");
    FAILS(fd_bridge_end(&noiseless, .5, &o, &end, NULL, 0, 1, &x, &y, a), FD_EARG, "an end");
    FAILS(fd_bridge_end(l, .5, &o, NULL, NULL, 0, 1, &x, &y, a), FD_EARG, "an end without y");
    FAILS(fd_bridge_end_mix(&noiseless, .5, &x, &none, NULL, 0, 1, &x, &y, a), FD_EARG,
          "a mixture");
    FAILS(value = fd_control_value(&noiseless, 0, &o, &end, &x, a), FD_EARG, "a control");
    FAILS(value = fd_control_value(l, 0, &o, NULL, &x, a), FD_EARG, "a control without y");
    fd_obs_noise(&a, &o, .1);
    FAILS(value = fd_control_value(l, -1, &o, &end, &x, a), FD_EARG, "steps below 0");
    o.linear = 0;
    FAILS(value = fd_control_value(l, 0, &o, &end, &x, a), FD_EARG, "F not linear");
    FAILS(fd_bridge_end(l, .5, &o, &end, NULL, 0, 1, &x, &y, a), FD_EARG,
          "an end where F is not linear");
    OK(x == 0 && y == 1 && isnan(value), "nothing was written");
}

/* what is not there: nothing happens, and no word of it */
static void of_nothing(const fd_linear *l, fd_arena a)
{
    const double half = .5;
    fd_obs o = fd_obs_pick(&a, &l->noise->s, 1, (ptrdiff_t[]){ 0 });
    fd_real x = 0, y = 1;
    const fd_mix some = { 1, NULL, &y, NULL };
    double value = 7;
    fd_obs_noise(&a, &o, .1);
    fd_linear_step(l, 0, 1, 1, NULL, NULL, a);
    fd_semilinear_step(l, 0, 1, 1, NULL, NULL, NULL, a);
    for (int i = 0; i < 4; i++) {
        fd_real *in = i == 0 ? NULL : &x, *end = i == 1 ? NULL : &y, *out = i == 2 ? NULL : &x;
        if (i < 2) fd_bridge_step(l, 0, 1, 1, in, end, NULL, a);
        if (i < 3) fd_bridge_draw(l, 1, &half, in, end, NULL, out, a);
        if (i == 3) fd_bridge_draw(l, 1, NULL, in, end, NULL, out, a);
        if (i < 3) fd_bridge_path(l, 2, fd_seed(1), 0, 1, in, end, out, a);
        if (i < 3) fd_bridge_drift(l, .5, 1, in, end, out, a);
        if (i < 2) OK(isnan(fd_bridge_cost(l, in, end, NULL, a)), "no cost");
        if (i == 0) OK(isnan(fd_control_value(l, 0, &o, &half, in, a)), "no control");
        if (i < 2) fd_bridge_end(l, .5, &o, &half, NULL, 0, 1, in, i == 1 ? NULL : &x, a);
        if (i < 3) fd_bridge_end_mix(l, .5, in, &some, NULL, 0, 1, i == 1 ? NULL : &x,
                                     i == 2 ? NULL : &x, a);
    }
    FAILS(fd_girsanov(l->noise, 1, 1, NULL, &x, &value, a), FD_OK, "Girsanov without a drift");
    FAILS(fd_girsanov(l->noise, 1, 1, &x, NULL, &value, a), FD_OK, "without increments");
    FAILS(fd_girsanov(l->noise, 1, 1, &x, &x, NULL, a), FD_OK, "without a place for the weight");
    FAILS(fd_girsanov(NULL, 1, 1, &x, &x, &value, a), FD_OK, "or noise");
    OK(x == 0 && y == 1 && value == 7, "nothing was written");
}
#undef FAILS

static void errors(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const fd_linear l = scalar(&a, 1, 1, 1);
    linear_errors(&l, a);
    bridge_errors(&l, a);
    of_nothing(&l, a);
    test_free();
}

/* ---- Equations ------------------------------------------------------------------------------- */

/* Girsanov: one step by the ratio of two Gaussians, mode by mode */
static void girsanov_step(fd_arena a)
{
    enum { N = 8 };
    fd_space s = fd_grid(&a, 1, (int[]){ N }, NULL, (int[]){ FD_NEUMANN }, 1);
    fd_cov *q = fd_cov_matern(&a, &s, 1, .3, 1);
    fd_real *d = fd_raw(&a, fd_real, N), *dW = fd_raw(&a, fd_real, N), u[N], v[N];
    double z = .25, want = .25, h = .1;
    for (int i = 0; i < N && dW; i++)
        d[i] = (fd_real)sin(i + .3), dW[i] = (fd_real)(.3 * cos(2. * i));
    fd_girsanov(q, h, 1, d, dW, &z, a);
    fd_to_modes(&s, 1, d, u, a), fd_to_modes(&s, 1, dW, v, a);
    for (int k = 0; k < N; k++) {
        double w = (double)v[k], m = h * (double)u[k];
        want += (w * w - (w - m) * (w - m)) / (2 * h * q->lam[k]);
    }
    NEAR(z, want, TOL(1e-11, 2e-4) * (1 + fabs(want)), "Girsanov's weight of a step");
}

static void semilinear(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    const double rates[3] = { 0, 1.7, 300 };
    for (int i = 0; i < 3; i++) {
        fd_linear l = scalar(&a, rates[i], .8, 1);
        fd_real x = (fd_real).4, n = (fd_real).5, one = 1, y = 0;
        double E = exp(-rates[i] * .3);
        fd_semilinear_step(&l, .1, .4, 1, &x, &n, NULL, a);
        NEAR((double)x, .4 * E + .5 * (i ? (1 - E) / rates[i] : .3), TOL(1e-14, 1e-7),
             "a constant N is taken exactly, a = %g", rates[i]);
        fd_semilinear_step(&l, .1, .4, 1, &y, NULL, &one, a);
        NEAR((double)y, sqrt(g_of(rates[i], .3)), TOL(1e-14, 1e-7), "its noise is the equation's");
    }
    double last = 0;
    fd_linear l = scalar(&a, 1.7, .8, 1);
    for (int n = 8; n <= 32; n *= 2) {                                 /* N = -x: order 1 */
        fd_real x = 1, N;
        for (int k = 0; k < n; k++) {
            N = -x;
            fd_semilinear_step(&l, (double)k / n, (k + 1.) / n, 1, &x, &N, NULL, a);
        }
        double err = fabs((double)x - exp(-2.7));
        if (n > 8) NEAR(last / err, 2, .15, "exponential Euler is of order 1, %d steps", n);
        last = err;
    }

    girsanov_step(a);
    enum { B = 4000, STEPS = 10 };                         /* then a chain */
    fd_arena own = test_arena(1 << 22, &st);
    fd_linear line = scalar(&own, 0, .8, 1);
    fd_real *x = fd_new(&own, fd_real, B), *D = fd_raw(&own, fd_real, B);
    fd_real *w = fd_raw(&own, fd_real, B);
    double *logz = fd_new(&own, double, B), sum = 0, second = 0, sq = 0, V = 0;
    /* X = W; P' has the drift -1.5 x */
    for (int k = 0; k < STEPS && logz; k++) {
        fd_cov_draw(line.noise, fd_stream(fd_seed(5), 'w', (uint32_t)k), 0, B, w, own);
        for (int i = 0; i < B; i++) w[i] *= (fd_real)sqrt(.1), D[i] = (fd_real)-1.5 * x[i];
        fd_girsanov(line.noise, .1, B, D, w, logz, own);
        for (int i = 0; i < B; i++) x[i] += w[i];
        V = V * .85 * .85 + .08;
    }
    for (int i = 0; i < B && logz; i++) {
        double e = exp(logz[i]) * (double)x[i] * (double)x[i];
        sum += exp(logz[i]) / B, second += e / B, sq += e * e / B;
    }
    NEAR(sum, 1, .1, "weights have the mean 1");
    NEAR(second, V, 4.5 * sqrt((sq - second * second) / B),
         "and turn Brownian paths into those of Ornstein and Uhlenbeck");
    OK(!st.code, "no error");
    test_free();
}

static void none_of(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)x, (void)t;
    y[0] = 0;
}
static void geometric(const void *self, const double *x, double t, double *G)
{
    (void)self, (void)t;
    G[0] = .4 * x[0];
}

/* landmarks x_i in the plane, noise of the points c_l: dx_i = sum_l k(x_i, c_l) dW_l, k = exp(-|x -
 * c|^2/(2 w^2)) */
enum { MARKS = 3, CENTRES = 4 };
static const double centre[CENTRES][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 1, 1 } }, width = .6;
static double bump(const double *x, const double *c)
{
    return exp(-((x[0] - c[0]) * (x[0] - c[0]) + (x[1] - c[1]) * (x[1] - c[1]))
               / (2 * width * width));
}

static void still(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)x, (void)t;
    memset(y, 0, 2 * MARKS * sizeof *y);
}

static void kunita(const void *self, const double *x, double t, double *G)
{
    (void)self, (void)t;
    memset(G, 0, 2 * MARKS * 2 * CENTRES * sizeof *G);
    for (int i = 0; i < MARKS; i++)
        for (int l = 0; l < CENTRES; l++)
            for (int c = 0; c < 2; c++)
                G[(2 * i + c) * 2 * CENTRES + 2 * l + c] = bump(x + 2 * i, centre[l]);
}

static void kunita_div(const void *self, const double *x, double t, double *y)
{
    (void)self, (void)t;
    for (int i = 0; i < MARKS; i++)
        for (int c = 0; c < 2; c++) {
            y[2 * i + c] = 0;
            for (int l = 0; l < CENTRES; l++) {
                double k = bump(x + 2 * i, centre[l]), sum = 0;
                for (int j = 0; j < MARKS; j++)
                    sum -= (x[2 * j + c] - centre[l][c]) * bump(x + 2 * j, centre[l])
                         / (width * width);
                y[2 * i + c] += k * sum - k * (x[2 * i + c] - centre[l][c]) * k / (width * width);
            }
        }
}

/* Stratonovich: X = exp(.4 W) */
static void stratonovich(fd_arena a)
{
    fd_system gbm = { 1, 1, none_of, geometric, NULL, NULL };
    double last[2] = { 0, 0 };
    for (int n = 8; n <= 32; n *= 2) {
        enum { PATHS = 500 };
        static double X[2][PATHS], W[PATHS], dW[PATHS];
        double err[2] = { 0, 0 };
        fd_real z[32];
        for (int i = 0; i < PATHS; i++) X[0][i] = X[1][i] = 1, W[i] = 0;
        for (int k = 0; k < n; k++) {
            /* one path on all grids of times */
            for (int i = 0; i < PATHS; i++) {
                dW[i] = 0;
                fd_normal(fd_stream(fd_seed(6), 'p', (uint32_t)i), 32, z);
                for (int j = 0; j < 32 / n; j++) dW[i] += (double)z[k * (32 / n) + j] / sqrt(32);
                W[i] += dW[i];
            }
            fd_system_step(&gbm, FD_SDE_HEUN, (double)k / n, 1. / n, PATHS, X[0], dW, a);
            fd_system_step(&gbm, FD_SDE_EULER, (double)k / n, 1. / n, PATHS, X[1], dW, a);
        }
        for (int i = 0; i < PATHS; i++) {
            err[0] += fabs(X[0][i] - exp(.4 * W[i])) / PATHS;
            err[1] += fabs(X[1][i] - exp(.4 * W[i] - .08)) / PATHS;
        }
        if (n > 8) {
            OK(last[0] / err[0] > 1.8, "Heun goes to Stratonovich's solution, order 1: %g",
               last[0] / err[0]);
            OK(last[1] / err[1] > 1.3 && last[1] / err[1] < 1.7, "Euler to Ito's, order 1/2: %g",
               last[1] / err[1]);
        }
        last[0] = err[0], last[1] = err[1];
    }
}

static void systems(void)
{
    enum { CELLS = 16001 };
    static double x[CELLS], next[CELLS], y[CELLS];
    static const double dts[5] = { .1, .05, .02, .01, .005 }, at[2] = { .625, 1.448 };
    static const double pull[2][5] = {
        { .363261714, .354576203, .348294091, .346054424, .344910764 },
        { -.441170097, -.432525217, -.425595539, -.422971276, -.421598664 } };
    static const double score[2] = { 2.299876284, -2.633692956 };
    static const double bent[2] = { 5.467216722, -1.266222733 };
    static const double sum[2] = { .343752268, -.42018541 }, s[2] = { 2.300036292, -2.63373314 };
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    fd_system gbm = { 1, 1, none_of, geometric, NULL, NULL };
    for (int p = 0; p < 2; p++) {
        /* E[target | x at t = 1] by quadrature */
        for (int i = 0; i < 5; i++) {
            double dt = dts[i], mass = 0, m[4] = { 0, 0, 0, 0 }, var = .16 * (1 - dt);
            for (int k = 0; k < CELLS; k++)
                x[k] = at[p] * (.2 + 3. * k / (CELLS - 1)), next[k] = at[p];
            for (int kind = FD_REVERSAL_SCORE; kind <= FD_REVERSAL_PULL; kind++) {
                fd_system_target(&gbm, kind, 1 - dt, dt, CELLS, x, next, y, a);
                for (int k = 0; k < CELLS; k++) {
                    double S = .16 * x[k] * x[k];
                    double w = exp(-pow(log(x[k]) + .5 * var, 2) / (2 * var)) / x[k]
                             * exp(-pow(at[p] - x[k], 2) / (2 * S * dt)) / x[k];
                    if (kind == FD_REVERSAL_PULL) m[0] += w * y[k], mass += w;
                    else m[1] += w * y[k], m[2] += w * S * y[k], m[3] += w * S;
                }
            }
            NEAR(m[0] / mass, pull[p][i], dt > .02 ? 1e-6 : 5e-8,
                 "regression of the pull, x = %g, dt = %g", at[p], dt);
            if (dt != .01) continue;
            NEAR(m[1] / mass, score[p], 2e-7, "of the score");
            NEAR(m[2] / m[3], bent[p], 2e-7,
                 "of the score with a weight that knows where it came from: wrong");
        }
        double got[2];
        fd_system_reverse(&gbm, FD_REVERSAL_SCORE, 1, &at[p], &s[p], &got[0], a);
        fd_system_reverse(&gbm, FD_REVERSAL_PULL, 1, &at[p], &sum[p], &got[1], a);
        NEAR(got[0], sum[p], 2e-9, "the reversed drift has the divergence, x = %g", at[p]);
        NEAR(got[1], sum[p], 1e-15, "and the pull has it in itself");
    }

    fd_system shapes = { 2 * MARKS, 2 * CENTRES, still, kunita, NULL, NULL };
    double mark[2 * MARKS] = { .2, .3, .9, .4, .5, .8 }, div[2 * MARKS], want[2 * MARKS];
    fd_system_div(&shapes, 0, mark, div, a);
    shapes.div = kunita_div;
    fd_system_div(&shapes, 0, mark, want, a);
    for (int i = 0; i < 2 * MARKS; i++)
        NEAR(div[i], want[i], 1e-9, "divergence of landmarks' noise, %d", i);

    stratonovich(a);
    OK(!st.code, "no error");
    double zero = 0;
    fd_system_target(&gbm, FD_REVERSAL_SCORE, 0, .1, 1, &zero, &zero, y, a);
    OK(st.code == FD_EDATA, "a singular Sigma has no score");
    test_free();
}

void test_bridges(void)
{
    steps();
    grids();
    paths();
    ends();
    control();
    semilinear();
    systems();
    errors();
}
