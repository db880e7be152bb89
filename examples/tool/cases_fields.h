/* cases_fields.h -- cases of fd vectors: random fields, and the bits that they are drawn from. */
#ifndef CASES_FIELDS_H
#define CASES_FIELDS_H
#include "cases_transforms.h"

/* ---- Random fields --------------------------------------------------------------------------- */

/* field -- a covariance by a word, its parameters, what it would be by a fault. */
enum { FIELD_MATERN, FIELD_RBF, FIELD_POWER, FIELD_ANY };
typedef struct { int kind, nd, n[2], bc; double var, l, nu; } field;
static const char *const field_name[] = { "matern", "rbf", "power" };

/* field_rule -- the eigenvalue where -Laplacian is mu; nu, l as given or by a fault. */
static inline double field_rule(const field *f, double mu, const char *id)
{
    double half = strcmp(id, "no-half-d") ? .5 * f->nd : 0, nu = f->nu, l = f->l, w = mu;
    int kind = f->kind;
    if (!strcmp(id, "no-2pi")) w = mu / (f->bc == FD_PERIODIC ? TURN * TURN : TURN * TURN / 4);
    if (!strcmp(id, "per-pixel")) w = mu / ((double)f->n[0] * f->n[0]);
    if (!strcmp(id, "no-two-in-kernel")) l /= sqrt(2);
    if (!strcmp(id, "unsquared")) kind = FIELD_MATERN, nu = .5, l = 2 * l * l;
    if (kind == FIELD_RBF) return f->var * pow(TURN * l * l, .5 * f->nd) * exp(-l * l * w / 2);
    if (kind == FIELD_POWER) return f->var * pow(w + l * l, -nu);
    double c = 2 * nu / (l * l);
    return f->var * pow(2 * TURN, .5 * f->nd) * tgamma(nu + half) / tgamma(nu) * pow(c, nu)
         * pow(c + w, -nu - half);
}

/* field_lam -- the eigenvalues by a fault, "" for none. */
static inline void field_lam(const field *f, const fd_space *s, const char *id, double *lam)
{
    for (ptrdiff_t k = 0; k < s->modes; k++) {
        int j[3], nyquist = fd_mode(s, k, j);
        double mu;
        fd_wave(s, k, &mu);
        lam[k] = nyquist && strcmp(id, "nyquist-kept") ? 0 : field_rule(f, mu, id);
        if (!strcmp(id, "ortho-law")) lam[k] *= (double)s->points;
        if (!strcmp(id, "deviation")) lam[k] = sqrt(lam[k]);
        if (!strcmp(id, "variance")) lam[k] *= lam[k];
        if (!strcmp(id, "no-grid-factor")) lam[k] /= (double)s->points;
    }
}

static inline fd_cov *field_cov(fd_arena *a, const field *f, const fd_space *s)
{
    return f->kind == FIELD_MATERN ? fd_cov_matern(a, s, f->var, f->l, f->nu)
         : f->kind == FIELD_RBF ? fd_cov_rbf(a, s, f->var, f->l)
                                : fd_cov_power(a, s, f->var, f->l, f->nu);
}

static inline void field_params(casebook *q, const field *f, const char *want)
{
    param_text(q, "want", want);
    param_text(q, "field", field_name[f->kind]);
    param_list(q, "n", f->nd, f->n);
    param_text(q, "boundary", t_boundary.rows[f->bc].name);
    param(q, f->kind == FIELD_POWER ? "s" : "var", f->var);
    param(q, f->kind == FIELD_POWER ? "tau" : "l", f->l);
    if (f->kind != FIELD_RBF) param(q, f->kind == FIELD_POWER ? "alpha" : "nu", f->nu);
}

/* of: the kind of field that may have the fault */
static const struct { const char *id; int of; } field_faults[] = {
    { "ortho-law", FIELD_ANY }, { "no-2pi", FIELD_ANY }, { "no-half-d", FIELD_MATERN },
    { "deviation", FIELD_ANY }, { "variance", FIELD_ANY }, { "unsquared", FIELD_RBF },
    { "no-two-in-kernel", FIELD_RBF }, { "nyquist-kept", FIELD_ANY },
    { "no-grid-factor", FIELD_ANY }, { "per-pixel", FIELD_ANY } };

/* field_case -- want: the eigenvalues, white noise coloured by them, or functions of the law. */
static inline void field_case(casebook *q, const field *f, const char *want)
{
    enum { COUNT_OF = 4000 };
    fd_space s = fd_grid(&q->a, f->nd, f->n, NULL, (int[]){ f->bc, f->bc }, 1);
    int modes = (int)s.modes, law = !strcmp(want, "functions"), colour = !strcmp(want, "colour");
    case_begin(q, VALID, f->kind == FIELD_POWER ? "[FNO sec. 5.3]" : "", f->n[0] % 2 ? "OddGrid Law"
               : "Nyquist Law", "%s of a %s field, %s ends", colour ? "white noise coloured" : law
               ? "functions" : "eigenvalues", field_name[f->kind], t_boundary.rows[f->bc].name);
    fd_cov *c = field_cov(&q->mem, f, &s);
    double *lam = doubles(q, s.modes), *z = doubles(q, s.modes);
    need(q->mem.st);
    field_params(q, f, want);
    for (int k = 0; k < modes; k++) lam[k] = c->lam[k];
    if (law) {
        param(q, "count", COUNT_OF);
        q->law = 1;
    }
    if (!colour) {
        put_out_d(q, "lam", 1, &modes, lam);
        field_lam(f, &s, "", z);
        agree(q, modes, q->out[0].x, z);
    }
    fd_real *x = colour ? normals(q, s.points) : NULL;
    fd_real *y = colour ? fd_raw(&q->mem, fd_real, s.points) : NULL;
    if (colour) {
        fd_cov_pow(c, .5, 1, x, y, q->mem);
        put_in(q, "z", f->nd, f->n, x);
        put_out(q, "x", f->nd, f->n, y);
    }
    need(q->mem.st);
    for (int i = 0; i < COUNT(field_faults); i++) {
        const char *id = field_faults[i].id;
        if (field_faults[i].of != FIELD_ANY && field_faults[i].of != f->kind) continue;
        if (!strcmp(id, "per-pixel") && f->nd > 1) continue;
        field_lam(f, &s, id, z);
        if (!colour) {
            fault(q, id, "lam", z);
            continue;
        }
        fd_cov *d = fd_cov_table(&q->mem, &s, z);
        fd_real *w = fd_raw(&q->mem, fd_real, s.points);
        fd_cov_pow(d, .5, 1, x, w, q->mem);
        need(q->mem.st);
        put_other(q, 0, id, "x", w);
    }
    case_end(q);
}

/* plain_philox -- Philox4x32 with so many rounds, as halves of words, low ones first. */
static inline void plain_philox(int rounds, const uint32_t word[2], const uint32_t counter[4],
                                double y[8])
{
    uint32_t k0 = word[0], k1 = word[1], c[4];
    memcpy(c, counter, sizeof c);
    for (int i = 0; i < rounds; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = { (uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                                   (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a };
        memcpy(c, next, sizeof c);
    }
    for (int j = 0; j < 8; j++) y[j] = c[j / 2] >> 16 * (j % 2) & 0xffff;
}

/* field_words -- Philox4x32-10: words as halves of 16 bits, low ones first. */
static inline void field_words(casebook *q, int i)
{
    uint32_t word[2], counter[4], out[4];
    double y[8], z[8];
    case_begin(q, VALID, "[Random123 code, include/Random123/philox.h]", "Bits",
               "Philox4x32-10; y: each word's low and high half, exactly");
    q->tol = 0;
    for (int j = 0; j < 2; j++) word[j] = i ? 0x243f6a88u * (uint32_t)(i + j) + (uint32_t)q->seed
        : 0;
    for (int j = 0; j < 4; j++) counter[j] = i ? 0x85a308d3u * (uint32_t)(i + 3 * j) : 0;
    say(&q->params, "\"want\": \"philox\", \"key\": [%" PRIu32 ", %" PRIu32 "], \"counter\": "
        "[%" PRIu32
        ", %" PRIu32 ", %" PRIu32 ", %" PRIu32 "]", word[0], word[1], counter[0], counter[1],
        counter[2], counter[3]);
    fd_philox(word, counter, out);
    for (int j = 0; j < 8; j++) y[j] = out[j / 2] >> 16 * (j % 2) & 0xffff;
    put_out_d(q, "y", 1, (int[]){ 8 }, y);
    plain_philox(10, word, counter, z);
    agree(q, 8, q->out[0].x, z);
    plain_philox(7, word, counter, z);
    fault(q, "seven-rounds", "y", z);
    plain_philox(10, (uint32_t[]){ word[1], word[0] }, counter, z);
    fault(q, "words-swapped", "y", z);
    case_end(q);
}

/* field_normals -- the four normals of a block of words, by Box and Muller, as in fd_normal4. */
static inline void field_normals(casebook *q, int i)
{
    const fd_rng r = { { 0x243f6a88u + (uint32_t)i, 0x85a308d3u ^ (uint32_t)q->seed } };
    const uint32_t counter[4] = { (uint32_t)i, 7, 1, 0 };
    uint32_t o[4];
    float z[4];
    fd_real y[4];
    double own[4], other[4];
    case_begin(q, VALID, "[Box & Muller]", "Bits", "normals of one block of Philox: with u = "
               "(o_h + 1/2)/2^32, w = o_2+h/2^32, sqrt(-2 log u) cos(2 pi w), then sin");
    q->tol = fmax(q->tol, 2e-6);
    say(&q->params, "\"want\": \"normals\", \"key\": [%" PRIu32 ", %" PRIu32 "], \"counter\": [%"
        PRIu32 ", %" PRIu32 ", %" PRIu32 ", %" PRIu32 "]", r.key[0], r.key[1], counter[0],
        counter[1], counter[2], counter[3]);
    fd_normal4(r, counter, z);
    fd_philox(r.key, counter, o);
    for (int h = 0; h < 2; h++) {
        double size = sqrt(-2 * log(ldexp(o[h] + .5, -32))), w = TURN * ldexp(o[2 + h], -32);
        own[h] = other[2 + h] = size * cos(w), own[2 + h] = other[h] = size * sin(w);
    }
    for (int j = 0; j < 4; j++) y[j] = (fd_real)z[j];
    agree(q, 4, y, own);
    put_out(q, "y", 1, (int[]){ 4 }, y);
    fault(q, "sine-cosine", "y", other);
    case_end(q);
}

/* field_nyquist -- white noise in the Nyquist mode alone: a field has nothing there. */
static inline void field_nyquist(casebook *q, const field *f)
{
    const int n = f->n[0];
    double z[16], x[16], mu = TURN / 2 * n;
    case_begin(q, INVALID, "", "Nyquist", "white noise that is the Nyquist mode, coloured: the "
               "answer is 0, not the mode");
    q->must_differ = 1;
    for (int j = 0; j < n; j++) {
        z[j] = j % 2 ? -1 : 1;
        x[j] = z[j] * sqrt(field_rule(f, mu * mu, ""));
    }
    field_params(q, f, "colour");
    put_in_d(q, "z", 1, &n, z);
    put_out_d(q, "x", 1, &n, x);
    case_end(q);
}

static inline void group_fields(casebook *q)
{
    static const field f[] = {
        { FIELD_MATERN, 1, { 8, 1 }, FD_PERIODIC, 2, .2, 1.5 },
        { FIELD_MATERN, 1, { 9, 1 }, FD_NEUMANN, 1, .3, .5 },
        { FIELD_MATERN, 2, { 6, 5 }, FD_PERIODIC, 1.5, .2, 1 },
        { FIELD_RBF, 1, { 16, 1 }, FD_PERIODIC, 1.3, .15, 0 },
        { FIELD_RBF, 2, { 5, 6 }, FD_DIRICHLET, 1.7, .2, 0 },
        { FIELD_POWER, 2, { 7, 6 }, FD_PERIODIC, 300, 7, 2.5 } };
    if (!group_begin(q, "fields", "Gaussian random fields: eigenvalues, noise coloured by them, "
                     "laws, bits"))
        return;
    for (int i = 0; i < COUNT(f); i++)
        field_case(q, &f[i], "eigenvalues"), field_case(q, &f[i], "colour");
    field_case(q, &f[0], "functions"), field_case(q, &f[3], "functions");
    field_nyquist(q, &f[0]);
    for (int i = 0; i < 3; i++) field_words(q, i);
    for (int i = 0; i < 2; i++) field_normals(q, i);
    group_end(q);
}
#endif
