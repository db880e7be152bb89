/* test_core.c -- build, memory and errors, random streams, linear algebra. */
#include "test.h"
#include <limits.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- Build, memory and errors ---------------------------------------------------------------- */

static void explained(void)
{
    static const struct {
        int code;
        const char *what;
        int nv;
        long long v[4];
        const char *name, *text;
    } rows[] = {
        { FD_OK, "nothing", 0, { 0, 0, 0, 0 }, "", "" },
        { FD_EARG, "no such thing", 0, { 0, 0, 0, 0 }, "", "here: no such thing" },
        { FD_ESHAPE, "inner sizes differ", 2, { 32, 64, 0, 0 }, "",
          "here: inner sizes differ: 32, 64" },
        { FD_EDATA, "extremes", 3, { LLONG_MIN, 0, LLONG_MAX, 0 }, "",
          "here: extremes: -9223372036854775808, 0, 9223372036854775807" },
        { FD_EIO, "cannot open", 0, { 0, 0, 0, 0 }, "a/b.npy", "here: cannot open: a/b.npy" },
    };
    char buf[128], shortened[12];
    fd_status bare = { .code = FD_EARG };                             /* not by fd_fail */
    OK(fd_explain(&bare, buf, sizeof buf) == FD_EARG && !strcmp(buf, ": "), "'%s'", buf);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fd_status st;
        fd_arena_over(NULL, 0, &st);
        if (rows[i].name[0]) fd_fail_name(&st, rows[i].code, "here", rows[i].what, rows[i].name);
        else if (rows[i].code)
            fd_fail(&st, rows[i].code, "here", rows[i].what, rows[i].nv, rows[i].v[0], rows[i].v[1],
                    rows[i].v[2], rows[i].v[3]);
        OK(fd_explain(&st, buf, sizeof buf) == rows[i].code, "row %d", (int)i);
        OK(!strcmp(buf, rows[i].text), "row %d: '%s'", (int)i, buf);
        memset(shortened, 'x', sizeof shortened);
        fd_explain(&st, shortened, sizeof shortened - 1);
        OK(!strncmp(shortened, rows[i].text, sizeof shortened - 2) && shortened[11] == 'x',
           "row %d shortened", (int)i);
        OK(strlen(shortened) < sizeof shortened - 1, "row %d shortened", (int)i);
        OK(fd_explain(&st, NULL, 0) == rows[i].code, "no room at all");
    }
}

/* FD_FAIL counts the numbers that it is given, and a copy says the same */
static void counted(void)
{
    char buf[128];
    static const char *const text[] = { "here: n", "here: n: 1", "here: n: 1, 2",
                                        "here: n: 1, 2, 3", "here: n: 1, 2, 3, -4" };
    for (int n = 0; n <= 4; n++) {
        fd_status own;
        fd_arena_over(NULL, 0, &own);
        switch (n) {
        case 0: FD_FAIL(&own, FD_EARG, "here", "n"); break;
        case 1: FD_FAIL(&own, FD_EARG, "here", "n", 1); break;
        case 2: FD_FAIL(&own, FD_EARG, "here", "n", 1, (size_t)2); break;
        case 3: FD_FAIL(&own, FD_EARG, "here", "n", 1, 2, (short)3); break;
        case 4: FD_FAIL(&own, FD_EARG, "here", "n", 1, 2, 3, -4); break;
        }
        fd_status copy = { .size = 7, .low = 3 };
        OK(fd_fail_as(&copy, &own) == FD_EARG && copy.size == 7 && copy.low == 3,
           "a failure copied");
        OK(fd_explain(&copy, buf, sizeof buf) == FD_EARG && !strcmp(buf, text[n]),
           "%d numbers: '%s'", n, buf);
    }
}

/* of a long name the end is said, and of two failures the first */
static void named(void)
{
    fd_status st;
    char path[301], buf[128];
    fd_arena_over(NULL, 0, &st);
    memset(path, 'p', 300);
    strcpy(path + 290, "/end.npy");
    fd_fail_name(&st, FD_EIO, "w", "x", path);
    FD_FAIL(&st, FD_EARG, "later", "ignored");
    fd_explain(&st, buf, sizeof buf);
    OK(st.code == FD_EIO && strlen(buf) == 6 + 95 && !strcmp(buf + strlen(buf) - 8, "/end.npy"),
       "long name: '%s'", buf);
}

/* control characters of C0 and C1, DEL; nothing of what does not fit whole */
static void escape(void)
{
    static const struct { const char *s; size_t size; const char *want; } rows[] = {
        { "plain \xc3\xa9 \\ text", 40, "plain \xc3\xa9 \\ text" },
            { "a\nb\tc\rd", 40, "a\\nb\\tc\\rd" },
        { "\x1b[31m\x7f\x01", 40, "\\x1b[31m\\x7f\\x01" },
            { "\xc2\x9b" "2J\xc2\xa0", 40, "\\x9b2J\xc2\xa0" },
        { "abc\n", 6, "abc\\n" }, { "abc\n", 5, "abc" }, { "\xc2\x9b", 4, "" }, { "x", 1, "" },
            { "\xc2", 9, "\xc2" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char buf[41];
        memset(buf, '#', sizeof buf);
        OK(fd_escape(rows[i].s, buf, rows[i].size) == buf && !strcmp(buf, rows[i].want)
           && buf[rows[i].size] == '#',
           "row %d: '%s'", (int)i, buf);
    }
    fd_status st;
    char line[80];
    fd_arena_over(NULL, 0, &st);
    fd_fail_name(&st, FD_EDATA, "here", "a name", "two\nlines");
    fd_explain(&st, line, sizeof line);
    OK(!strcmp(line, "here: a name: two\\nlines"), "'%s'", line);
    OK(fd_escape("x", NULL, 0) == NULL, "no room at all");
}

#ifdef FD_ASAN
int __asan_address_is_poisoned(const volatile void *p);
/* what is not handed out may not be touched, up to its neighbours and after it was given back */
static void zones(void)
{
    static char room[4096];
    fd_status st;
    fd_arena a = fd_arena_over(room, sizeof room, &st), inner;
    char *p = fd_new(&a, char, 3), *q = fd_new(&a, char, 70);
    for (int i = 0; i < FD_REDZONE; i++)
        OK(__asan_address_is_poisoned(p - 1 - i) && __asan_address_is_poisoned(p + 3 + i)
           && __asan_address_is_poisoned(q - 1 - i) && __asan_address_is_poisoned(q + 70 + i),
           "byte %d beside a piece", i);
    for (int i = 0; i < 70; i++)
        OK(!__asan_address_is_poisoned(q + i) && !__asan_address_is_poisoned(p + i % 3), "byte %d",
           i);
    inner = a;
    char *r = fd_new(&inner, char, 900);                /* scratch, given back */
    OK(!__asan_address_is_poisoned(r + 899), "scratch");
    fd_new(&a, char, 1);
    OK(__asan_address_is_poisoned(r + 899) && __asan_address_is_poisoned(r + 100), "given back");
    fd_show(r, 900);
    OK(!__asan_address_is_poisoned(r + 899), "fd_show");
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_hide(&a);
    OK(__asan_address_is_poisoned(r + 899), "fd_hide");
    const fd_var *x = fd_input(&t, 1, (int[]){ 1 }, (fd_real[]){ 1 });
    fd_tape_end(&t);
    OK(__asan_address_is_poisoned(x), "what a tape had");
}
#endif

static void arena(void)
{
    enum { ALL = 1000 + 8 * FD_REDZONE };
    static unsigned char room[ALL + 63];
    unsigned char *const mem = room + ((size_t)(0 - (uintptr_t)room) & 63);
    fd_status st;
    fd_arena a = fd_arena_over(mem, ALL, &st);
    OK(st.code == FD_OK && st.size == ALL && st.low == ALL, "fresh");
    for (size_t shift = 0; shift < 64; shift++) {
        fd_arena_over(mem + shift, 100, &st);
        OK(st.size == 100 - (64 - shift) % 64 && st.low == st.size && !fd_need(&st, mem),
           "shift %zu", shift);
        a = fd_arena_over(mem + shift, shift, &st);
        OK(shift >= (64 - shift) % 64 || (!st.size && a.beg == a.end), "shift %zu: no byte of it",
           shift);
    }
    a = fd_arena_over(mem, ALL, &st);
    memset(mem, 0xa5, ALL);
    char *p = fd_new(&a, char, 3), *q = fd_raw(&a, char, 70);
    OK(p && q && !((uintptr_t)p & 63) && !((uintptr_t)q & 63) && q - p == 64 + 2 * FD_REDZONE,
       "alignment");
    OK(!p[0] && !p[1] && !p[2], "cleared");
#ifndef FD_VALGRIND                                    /* to which it is undefined */
    OK((unsigned char)q[0] == 0xa5, "not cleared");
#endif
    const size_t low = st.low;
    OK(low == (size_t)(a.end - q) - 70 - FD_REDZONE, "low water %zu", low);
    fd_arena inner = a;                                 /* scratch by value */
    OK(fd_raw(&inner, char, 500) && st.low < low, "scratch counts");
    const size_t lower = st.low;
    OK(fd_raw(&a, char, 1) && st.low == lower, "free again, low stays");
    inner = a;
    OK(!fd_alloc(&inner, SIZE_MAX / 8 + 2, 8) && st.code == FD_ENOMEM, "overflow of count * size");
    OK(!fd_new(&a, char, 1) && !fd_take(&a, 0, 1), "sticky");
    char buf[160];
    fd_explain(&st, buf, sizeof buf);
    OK(!strncmp(buf, "fd_alloc: arena too small", 25), "%s", buf);

    a = fd_arena_over(mem, ALL, &st);
    const size_t left = (size_t)(a.end - a.beg) - 2 * FD_REDZONE;
    inner = a;
    OK(fd_raw(&inner, char, left) && !st.low, "the last byte");
    inner = a;
    OK(!fd_raw(&inner, char, left + 1) && st.code == FD_ENOMEM && st.v[0] == (long long)left + 1
       && st.v[1] == 1 && st.v[2] == ALL, "one byte more");
    a = fd_arena_over(NULL, 100, &st);
    OK(!fd_new(&a, int, 1) && st.code == FD_ENOMEM, "the arena of a failed malloc");
    const char *b = fd_build();
    OK(!strncmp(b, EPS < 1e-10 ? "double, " : "float, ", 7 + (EPS < 1e-10)), "%s", b);
#ifdef _OPENMP
    OK(strstr(b, "OpenMP") != NULL, "%s", b);
#endif
}

/* what fd_need is for: space, operators, a network and its training, a sampler */
static int need_run(fd_arena a)
{
    fd_space s = fd_grid(&a, 2, (int[]){ 64, 48 }, NULL, (int[]){ FD_NEUMANN, FD_PERIODIC }, 1);
    fd_cov *c = fd_cov_matern(&a, &s, 1, .2, 1.5);
    fd_process p = fd_vp(c, .1, 20);
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 8,
                           .layers = 2, .fno.modes = { 8, 8 }, .time = FD_TIME_FILM };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_opt *opt = fd_opt_new(&a, net, NULL);
    fd_real *x = fd_new(&a, fd_real, 4 * fd_size(&s));
    if (!opt || !x) return a.st->code;
    fd_cov_draw(c, fd_seed(2), 0, 4, x, a);
    fd_tape t = fd_tape_begin(&a, FD_GRAD);
    fd_var *y = fd_forward(net, &t, &s, fd_input(&t, 3, (int[]){ 4, 1, 64 * 48 }, x),
                           (double[]){ .1, .2, .3, .4 });
    fd_backward(&t, fd_mse_loss(&t, &s, y, x, NULL));
    fd_opt_step(opt, net, a.st);
    fd_tape_end(&t);
    double times[4];
    fd_times(&p, FD_UNIFORM, 0, 3, times, a.st);
    fd_sampler how = { .p = &p, .model = fd_net_model(&a, net, FD_V), .t = times, .steps = 3 };
    fd_run *run = fd_begin(&a, &how, fd_seed(3), 0, 4);
    while (fd_step(run, a)) { }
    fd_sliced_w2(&s, fd_seed(4), 70, 4, x, 4, x + 0, a);
    return a.st->code;
}

/* the size that fd_need names suffices, for a base anywhere, and one byte less does not */
static void need(void)
{
    const int most = test_most_threads();
    char *whole = malloc(((size_t)128 << 20) + 192), *mem = whole;
    if (!mem) { OK(0, "memory"); return; }
    mem += (size_t)(0 - (uintptr_t)mem) & 63;
    for (int threads = 1; threads <= (test_brief() ? 1 : 3); threads++) {
        size_t first = 0;
        test_use_threads(threads);
        for (int shift = 0; shift < (test_brief() ? 1 : 64); shift += 42) {
            fd_status st, again;
            char *base = mem + shift;
            need_run(fd_arena_over(base, (size_t)128 << 20, &st));
            OK(!st.code, "%s", st.code ? st.what : "");
            const size_t all = fd_need(&st, NULL), own = fd_need(&st, mem + 64 - shift);
            if (!shift) first = all;
            OK(all == first && own == all - 63 + (size_t)shift && fd_need(&st, mem) == all - 63,
               "threads %d, shift %d: %zu, %zu", threads, shift, all, own);
            OK(!need_run(fd_arena_over(mem + 64 - shift, own, &again)),
               "threads %d, shift %d: %zu bytes", threads,
               shift, own);
            OK(need_run(fd_arena_over(mem + 64 - shift, own - 1, &again)) == FD_ENOMEM,
               "one byte less suffices");
            OK(shift || !need_run(fd_arena_over(mem + 1, all, &again)), "%zu bytes anywhere", all);
        }
    }
    test_use_threads(most);
    free(whole);
}

/* ---- Random streams -------------------------------------------------------------------------- */

static void philox(void)
{
    static const uint32_t rows[][10] = {                 /* key, counter, answer [Random123] */
        { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
          0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344,
          0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t out[4];
        fd_philox(rows[i], rows[i] + 2, out);
        OK(!memcmp(out, rows[i] + 6, sizeof out), "row %d: %08x %08x %08x %08x", (int)i, out[0],
           out[1], out[2], out[3]);
    }
}

/* x, words of 32 bits, is what every build has made so far */
#define HASH(x, size, want) OK(hash_words(x, size) == UINT64_C(want), "hash %016llx", \
                               (unsigned long long)hash_words(x, size))
static uint64_t hash_words(const void *x, size_t size)
{
    static uint32_t w[40000];
    OK(size <= sizeof w, "room");
    return size <= sizeof w ? test_hash(test_little(w, x, 4, size / 4), size) : 0;
}

/* the four normals of a block against libm, relative to the radius; some blocks have a first word
 * of few bits, so that u is near 0, or near 1 */
static void normal_values(void)
{
    enum { BLOCKS = 4000 };
    const double tau = 6.283185307179586477;
    double worst = 0, most = 0, least = 1;
    static float seen[4 * BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const fd_rng r = fd_stream(fd_seed(41), 'v', i & 7);
        const uint32_t ctr[4] = { i * 77777u, i & 3, i >> 3, 12345 };
        uint32_t w[4];
        float *z = seen + 4 * i;
        fd_normal4(r, ctr, z);
        fd_philox(r.key, ctr, w);
        for (int h = 0; h < 2; h++) {
            const double u = (w[h] + .5) * 0x1p-32, rad = sqrt(-2 * log(u));
            const double turn = tau * (w[2 + h] * 0x1p-32);
            worst = fmax(worst, fabs((double)z[h] - rad * cos(turn)) / rad);
            worst = fmax(worst, fabs((double)z[2 + h] - rad * sin(turn)) / rad);
            most = fmax(most, u);
            least = fmin(least, u);
        }
    }
    OK(least < 5e-4 && most > 1 - 5e-4, "u in %g .. %g", least, most);
    NEAR(worst, 0, 4e-7, "normals against libm");
    HASH(seen, sizeof seen, 0x259a9f73c2fa8996);
    fd_rng k[64];
    for (uint32_t i = 0; i < 64; i++)
        k[i] = fd_stream(fd_seed((uint64_t)i << 30), 'k' + (i & 1), i);
    HASH(k, sizeof k, 0x9be17158084bb35f);
}

/* Blocks found by search, keys of seed 0, with an u that few draws reach: the radius must be exact
 * there */
static void normal_extremes(void)
{
    static const struct { uint32_t at; int h; } rows[] = {
        { 25804704, 0 }, { 263228086, 0 }, { 282927269, 0 }, { 401486676, 1 },        /* u near 0 */
        { 19890202, 0 }, { 68259198, 0 }, { 91032918, 1 }, { 135809593, 0 },          /* u near 1 */
    };
    const fd_rng r = fd_seed(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint32_t ctr[4] = { rows[i].at, 0, 0, 'n' };
        const int h = rows[i].h;
        uint32_t w[4];
        float z[4];
        fd_philox(r.key, ctr, w);
        fd_normal4(r, ctr, z);
        const double u = ((double)w[h] + .5) * 0x1p-32;
        const double v = ((double)(uint32_t)~w[h] + .5) * 0x1p-32;
        const double rad = sqrt(-2 * (v < u ? log1p(-v) : log(u)));
        OK(fmin(u, v) < 1e-8, "u is %g", u);
        NEAR(hypot((double)z[h], (double)z[2 + h]) / rad, 1, 4e-7, "radius %g", rad);
    }
}

static const float *as_float(const fd_real *x)           /* 4096 of them */
{
    static float f[4096];
    for (int i = 0; i < 4096; i++) f[i] = (float)x[i];
    return f;
}

/* the same bits in every build, for any length, for any number of threads */
static void normal_bits(fd_arena a)
{
    enum { N = 100003 };
    static const int lengths[] = { 0, 1, 2, 15, 16, 17, 31, 33, 128, 255, 257, 16383, 16385,
                                   33000 };
    fd_real *x = fd_raw(&a, fd_real, N), *y = fd_raw(&a, fd_real, N);
    const fd_rng r = fd_seed(UINT64_C(0x123456789abcdef));
    fd_normal(r, N, x);
    HASH(as_float(x + N - 4096), 4096 * sizeof(float), 0x4e78b7de37e3e906);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const int n = lengths[i];
        y[n] = 77;
        fd_normal(r, n, y);
        OK(!memcmp(x, y, (size_t)n * sizeof *x) && y[n] == 77, "the first %d", n);
    }
#ifdef _OPENMP
    const int threads = omp_get_max_threads();
    for (int t = 1; t <= 3; t++) {
        omp_set_num_threads(t);
        fd_normal(r, N, y);
        OK(!memcmp(x, y, N * sizeof *x), "%d threads", t);
    }
    omp_set_num_threads(threads);
#endif
    for (uint32_t i = 0; i < N; i += 97) {                  /* element 32 g + 16 s + 2 b + h */
        float z[4];
        fd_normal4(r, (const uint32_t[]){ i / 32 * 8 + i % 16 / 2, 0, 0, 'n' }, z);
        OK(x[i] == (fd_real)z[i / 16 % 2 * 2 + i % 2], "element %d", (int)i);
    }
    fd_uniform(r, N, x);
    HASH(as_float(x + N - 4096), 4096 * sizeof(float), 0x03366c4bb162489c);
    fd_uniform(r, 4097, y);
    OK(!memcmp(x, y, 4097 * sizeof *x), "uniforms: the first 4097");
}

static void moments(fd_arena a)
{
    enum { N = 1 << 20, BINS = 64 };
    fd_real *x = fd_raw(&a, fd_real, N);
    double m[5] = { 0 }, lag[3] = { 0 }, chi = 0, sq = sqrt(N);
    int over[6] = { 0 }, bin[BINS] = { 0 };
    fd_normal(fd_seed(2385), N, x);
    for (int i = 0; i < N; i++) {
        double p = 1, z = (double)x[i];
        for (int j = 1; j < 5; j++) m[j] += (p *= z) / N;
        for (int k = 1; k < 6; k++) over[k] += fabs(z) > k;
        bin[(int)fmin(BINS * erfc(-z * 0.70710678118654752) / 2, BINS - 1)]++;
        for (int k = 0; k < 3; k++)                  /* 1, 2, 16: the other pair, block, function */
            if (i >> 4) lag[k] += z * (double)x[i - (k == 2 ? 16 : k + 1)] / N;
    }
    /* standard deviations of the sums: sqrt 1, 2, 15, 96 over sqrt N; four of them allowed */
    NEAR(m[1], 0, 4 / sq, "mean");
    NEAR(m[2], 1, 4 * sqrt(2) / sq, "variance");
    NEAR(m[3], 0, 4 * sqrt(15) / sq, "third moment");
    NEAR(m[4], 3, 4 * sqrt(96) / sq, "fourth moment");
    for (int k = 0; k < 3; k++) NEAR(lag[k], 0, 4 / sq, "neighbours");
    for (int k = 1; k < 6; k++) {
        const double p = erfc(k * 0.70710678118654752);
        NEAR(over[k], N * p, 4 * sqrt(N * p), "beyond %d", k);
    }
    for (int i = 0; i < BINS; i++) chi += pow(bin[i] - (double)N / BINS, 2) / ((double)N / BINS);
    NEAR(chi, BINS - 1, 4 * sqrt(2 * (BINS - 1)), "chi squared of normals");
    chi = 0;
    memset(bin, 0, sizeof bin);

    double mean = 0, lo = 1, hi = 0;
    fd_uniform(fd_seed(2386), N, x);
    for (int i = 0; i < N; i++) {
        const double u = (double)x[i];
        mean += u / N;
        lo = fmin(lo, u);
        hi = fmax(hi, u);
        bin[(int)(u * BINS)]++;
    }
    for (int i = 0; i < BINS; i++) chi += pow(bin[i] - (double)N / BINS, 2) / ((double)N / BINS);
    NEAR(mean, 0.5, 4 * sqrt(1. / 12) / sq, "mean of uniforms");
    NEAR(chi, BINS - 1, 4 * sqrt(2 * (BINS - 1)), "chi squared of uniforms");
    OK(lo > 0 && hi < 1 && lo < 1e-5 && hi > 1 - 1e-5, "range %g %g", lo, hi);
    /* a block whose first uniform is 1 - 5.7e-9: in float that rounds to 1, which is not allowed */
    fd_uniform(fd_seed(279740567), 1, x);
    OK(x[0] < 1 && x[0] > (fd_real)(1 - 1e-7), "%.17g", (double)x[0]);
    NEAR((double)x[0], TOL(0.99999999426405273, 1 - 0x1p-24), 1e-16, "the largest number below 1");
}

static void streams(fd_arena a)
{
    enum { N = 1 << 16, S = 6 };
    fd_real *x = fd_raw(&a, fd_real, N * S);
    const fd_rng r = fd_seed(1);
    const fd_rng s[S] = { r, fd_seed(2), fd_stream(r, 'x', 0), fd_stream(r, 'x', 1),
                          fd_stream(r, 'y', 0),
                          fd_stream(fd_stream(r, 'x', 0), 'x', 0) };
    for (int i = 0; i < S; i++) fd_normal(s[i], N, x + i * N);
    for (int i = 0; i < S; i++)
        for (int j = 0; j < i; j++)
            for (int lag = 0; lag < 3; lag++) {
                double c = 0, q = 0;
                for (int l = lag; l < N; l++) {
                    const double u = (double)x[i * N + l], v = (double)x[j * N + l - lag];
                    c += u * v / sqrt(N);
                    q += (u * u - 1) * (v * v - 1) / (2 * sqrt(N));
                }
                NEAR(c, 0, 4.5, "streams %d, %d, lag %d", i, j, lag);
                NEAR(q, 0, 4.5, "squares of streams %d, %d, lag %d", i, j, lag);
            }
    enum { K = 3000 };
    fd_rng *k = fd_raw(&a, fd_rng, K);
    int same = 0;
    for (uint32_t i = 0; i < K; i++)
        k[i] = i < 1000 ? fd_seed(i) : i < 2000 ? fd_stream(r, 'p', i) : fd_stream(r, i, 'p');
    for (int i = 0; i < K; i++)
        for (int j = 0; j < i; j++) same += !memcmp(&k[i], &k[j], sizeof *k);
    OK(!same, "%d equal keys", same);
}

static void integers(fd_arena a)
{
    static const int sizes[] = { 1, 2, 3, 10, 1000, INT_MAX };
    const fd_rng r = fd_seed(99);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        enum { N = 20000, BINS = 10 };
        const int n = sizes[s], bins = n < BINS ? n : BINS;
        int out = 0, bin[BINS] = { 0 };
        double chi = 0;
        for (uint64_t i = 0; i < N; i++) {
            const int j = fd_index(r, i << 33 | i, n);
            out += j < 0 || j >= n;
            bin[(int64_t)j * bins / n]++;
        }
        OK(!out, "n = %d: %d outside", n, out);
        for (int i = 0; i < bins; i++) {                        /* j with floor(j bins/n) = i */
            const double e = N * ((double)(((int64_t)(i + 1) * n + bins - 1) / bins
                                           - ((int64_t)i * n + bins - 1) / bins) / n);
            chi += pow(bin[i] - e, 2) / e;
        }
        NEAR(chi, bins - 1, 4.5 * sqrt(2. * bins), "n = %d: chi squared", n);
    }
    for (uint64_t i = 0; i < 500; i++) {                        /* floor(W n 2^-64), by halves */
        uint32_t o[4], *w = o + 2 * (i & 1), n = INT_MAX;
        fd_philox(r.key, (const uint32_t[]){ (uint32_t)(i / 2), 0, 0, 'i' }, o);
        const uint64_t low = (uint64_t)w[1] * n, high = (uint64_t)w[0] * n;
        const uint64_t middle = (low >> 32) + (high & 0xffffffffu);
        OK((uint64_t)fd_index(r, i, INT_MAX) == (high >> 32) + (middle >> 32), "index %d", (int)i);
    }
    enum { BIG = 1003 };
    int *p = fd_raw(&a, int, BIG + 1), *seen = fd_new(&a, int, BIG), order[24] = { 0 }, fixed = 0;
    for (int n = 0; n <= BIG; n += n < 5 ? 1 : 499) {
        memset(seen, 0, BIG * sizeof *seen);
        p[n] = -5;
        fd_perm(fd_stream(r, 'p', (uint32_t)n), n, p);
        for (int i = 0; i < n; i++) if (p[i] >= 0 && p[i] < n) seen[p[i]]++;
        int bad = p[n] != -5;
        for (int i = 0; i < n; i++) bad += seen[i] != 1;
        OK(!bad, "permutation of %d", n);
    }
    for (int i = 0; i < BIG; i++) fixed += p[i] == i;
    OK(fixed < 8, "%d fixed points", fixed);
    HASH(p, BIG * sizeof *p, 0xfde640045147830f);
    double chi = 0;
    for (uint32_t i = 0; i < 24000; i++) {
        fd_perm(fd_stream(r, 'q', i), 4, p);
        int rank = 0;                                           /* factorial base */
        for (int j = 0; j < 4; j++) {
            int less = 0;
            for (int l = j + 1; l < 4; l++) less += p[l] < p[j];
            rank = rank * (4 - j) + less;
        }
        order[rank]++;
    }
    for (int i = 0; i < 24; i++) chi += (order[i] - 1000.) * (order[i] - 1000.) / 1000;
    NEAR(chi, 23, 4.5 * sqrt(46), "all 24 orders alike");
}

void test_random(void)
{
    fd_status st;
    fd_arena a = test_arena(16 << 20, &st);
    explained();
    counted();
    named();
    escape();
    arena();
#ifdef FD_ASAN
    zones();
#endif
    need();
    philox();
    normal_values();
    normal_extremes();
    normal_bits(a);
    moments(a);
    streams(a);
    integers(a);
    OK(!st.code, "arena");
}

/* ---- Linear algebra -------------------------------------------------------------------------- */

static void fill(fd_arena *a, uint32_t i, ptrdiff_t n, fd_real **x)
{
    *x = fd_raw(a, fd_real, n);
    fd_normal(fd_stream(fd_seed(5), 'f', i), n, *x);
}

/* one product against plain loops in double, with room beside each row that must stay as it is */
static void product(fd_arena a, int ta, int tb, int m, int n, int k, double alpha, double beta)
{
    const int lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2;
    fd_real *A, *B, *C, *C0;
    fill(&a, 1, (ptrdiff_t)lda * (ta ? k : m), &A);
    fill(&a, 2, (ptrdiff_t)ldb * (tb ? n : k), &B);
    fill(&a, 3, (ptrdiff_t)ldc * m, &C);
    C0 = fd_raw(&a, fd_real, (ptrdiff_t)ldc * m);
    if (beta == 0)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)ldc * m; i++) C[i] = NAN;      /* must not be read */
    memcpy(C0, C, (size_t)ldc * (size_t)m * sizeof *C);
    fd_gemm(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc, a);
    double worst = 0;
    int touched = 0;
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double s = 0, q = 0;
            for (int p = 0; p < k; p++) {
                const fd_real x = ta ? A[(ptrdiff_t)p * lda + i] : A[(ptrdiff_t)i * lda + p];
                const fd_real y = tb ? B[(ptrdiff_t)j * ldb + p] : B[(ptrdiff_t)p * ldb + j];
                const double xy = (double)x * (double)y;
                s += xy;
                q += xy * xy;
            }
            const double c0 = beta == 0 ? 0 : beta * (double)C0[(ptrdiff_t)i * ldc + j];
            const double e = fabs((double)C[(ptrdiff_t)i * ldc + j] - (alpha * s + c0))
                           / (EPS * (fabs(alpha) * sqrt(q * (k + 1)) + fabs(c0) + 1e-30));
            if (!(e <= worst)) worst = e;
        }
        touched |= memcmp(C + (ptrdiff_t)i * ldc + n, C0 + (ptrdiff_t)i * ldc + n, 2 * sizeof *C);
    }
    NEAR(worst, 0, 4, "%d%d %d x %d x %d, alpha %g, beta %g", ta, tb, m, n, k, alpha, beta);
    OK(!touched, "%d%d %d x %d x %d: beside C", ta, tb, m, n, k);
}

static void products(fd_arena a)
{
    static const int e[] = { 0, 1, 2, 3, 7, 14, 15, 16, 17, 31, 33, 64, 67 };
    static const double scale[][2] = { { 1, 0 }, { 1, 1 }, { -2.385, 0 }, { 0.7, 1 }, { 1, -0.3 },
                                       { 1.3, 2.5 } };
    static const int more[][3] = { { 130, 150, 70 }, { 200, 33, 300 }, { 29, 515, 257 },
        { 5, 7, 4096 }, { 3, 70, 5003 }, { 530, 40, 10 }, { 1, 1, 9001 }, { 300, 2, 33 },
        { 410, 330, 530 }, { 395, 40, 100 } };
    const int count = (int)(sizeof e / sizeof *e);
    int at = 0;
    for (int t = 0; t < 4; t++) {
        for (int i = 0; i < count; i++)
            for (int j = 0; j < count; j++)
                for (int l = (i + j) % 3; l < count; l += 3, at++)
                    product(a, t & 1, t >> 1, e[i], e[j], e[l], scale[at % 6][0],
                            scale[at % 6][1]);
        for (size_t i = 0; i < sizeof more / sizeof *more; i++, at++)
            product(a, t & 1, t >> 1, more[i][0], more[i][1], more[i][2], scale[at % 6][0],
                    scale[at % 6][1]);
    }
    /* alpha = 0 reads neither A nor B */
    fd_real x = NAN, c[2] = { 3, 5 };
    fd_gemm(0, 0, 1, 2, 1, 0, &x, 1, c, 2, 0.5, c, 2, a);
    OK(c[0] == (fd_real)1.5 && c[1] == (fd_real)2.5, "alpha = 0");
    fd_gemm(0, 0, 1, 2, 0, 1, NULL, 0, NULL, 2, 0, c, 2, a);
    OK(c[0] == 0 && c[1] == 0, "k = 0, beta = 0");
}

/* Sums so long that they are cut up, of so many rows that these are taken some at a time: the bits
 * are those of a few rows, and the sum of whole numbers is right. */
static void long_sums(void)
{
    enum { M = 130, N = 256, K = 35000, PART = 65 };
    fd_status st;
    fd_arena a = test_arena((size_t)(M + N) * K * sizeof(fd_real) + (1 << 25), &st);
    fd_real *A = fd_raw(&a, fd_real, M * K), *B = fd_raw(&a, fd_real, N * K);
    fd_real *C = fd_raw(&a, fd_real, M * N), *D = fd_raw(&a, fd_real, M * N);
    if (!D) { OK(0, "memory"); return; }
    for (int i = 0; i < M * K; i++) A[i] = (fd_real)(i % 3);
    for (int i = 0; i < N * K; i++) B[i] = (fd_real)(i % 5 - 2);
    fd_gemm(0, 0, M, N, K, 1, A, K, B, N, 0, C, N, a);
    for (int i = 0; i < M; i += PART)
        fd_gemm(0, 0, PART, N, K, 1, A + (ptrdiff_t)i * K, K, B, N, 0, D + i * N, N, a);
    OK(!st.code && !memcmp(C, D, M * N * sizeof *C), "rows of long sums");
    for (int i = 0; i < M; i += 43)
        for (int j = 0; j < N; j += 51) {
            double want = 0;
            for (int k = 0; k < K; k++) want += (i * K + k) % 3 * ((k * N + j) % 5 - 2);
            NEAR((double)C[i * N + j], want, 0, "entry %d, %d", i, j);
        }
    test_free();
}

/* the bits of an entry do not depend on what is computed beside it, nor on threads */
static void product_bits(fd_arena a)
{
    static const int rows[][3] = { { 37, 41, 29 }, { 70, 100, 300 }, { 19, 35, 4500 },
                                   { 150, 140, 130 }, { 210, 270, 520 } };
    for (size_t r = 0; r < 4 * (sizeof rows / sizeof *rows); r++) {
        const int m = rows[r / 4][0], n = rows[r / 4][1], k = rows[r / 4][2];
        const int ta = r & 1, tb = r >> 1 & 1;
        const int lda = ta ? m : k, ldb = tb ? k : n;
        fd_arena b = a;
        fd_real *A, *B, *C, *D;
        fill(&b, 1, (ptrdiff_t)m * k, &A);
        fill(&b, 2, (ptrdiff_t)k * n, &B);
        C = fd_raw(&b, fd_real, m * n);
        D = fd_raw(&b, fd_real, m * n);
        for (int add = 0; add < 2; add++) {
            const size_t size = (size_t)m * (size_t)n * sizeof *C;
            fill(&b, 3, m * n, &C);
            for (int way = 0; way < 4; way++) {
                fd_arena s = b;
                fd_real *start;
                fill(&s, 3, m * n, &start);
                memcpy(D, start, size);
                if (way == 0) fd_gemm(ta, tb, m, n, k, 0.9, A, lda, B, ldb, add, D, n, b);
                if (way == 1)
                    for (int i = 0; i < m; i++)
                        fd_gemm(ta, tb, 1, n, k, 0.9, A + (ta ? i : i * lda), lda, B, ldb, add,
                                D + i * n, n, b);
                if (way == 2)
                    for (int j = 0, w = 1; j < n; j += w, w = w * 2 + 1) {
                        if (w > n - j) w = n - j;
                        fd_gemm(ta, tb, m, w, k, 0.9, A, lda, B + (tb ? j * ldb : j), ldb, add,
                                D + j, n, b);
                    }
#ifdef _OPENMP
                const int threads = omp_get_max_threads();
                if (way == 3) {
                    omp_set_num_threads(3);
                    fd_gemm(ta, tb, m, n, k, 0.9, A, lda, B, ldb, add, D, n, s);
                    omp_set_num_threads(1);
                    fd_gemm(ta, tb, m, n, k, 0.9, A, lda, B, ldb, add, start, n, s);
                    omp_set_num_threads(threads);
                    OK(!memcmp(start, D, size), "row %d: 3 threads and 1", (int)r);
                }
#else
                if (way == 3) break;
#endif
                if (way == 0) memcpy(C, D, size);
                else OK(!memcmp(C, D, size), "row %d, way %d, add %d", (int)r, way, add);
            }
        }
    }
}

#ifdef _OPENMP
enum { FROM_M = 210, FROM_N = 270, FROM_K = 520, FROM_B = 40, FROM_S = 24, FROM_R = 70000,
       FROM_ALL = FROM_M * FROM_N + FROM_B * FROM_S * FROM_S + FROM_R
                  + FROM_B * FROM_S * (FROM_S + 2) };

static void some_calls(const fd_real *A, fd_real *c, fd_arena scratch)
{
    const int n[2] = { FROM_S, FROM_S }, size = FROM_S * FROM_S;
    fd_gemm(0, 1, FROM_M, FROM_N, FROM_K, 1, A, FROM_K, A + FROM_M * FROM_K, FROM_K, 0, c, FROM_N,
            scratch);
    c += FROM_M * FROM_N;
    fd_gemm_batch(FROM_B, 1, 0, FROM_S, FROM_S, FROM_S, 1, A, FROM_S, size, A, FROM_S, 7, 0, c,
                  FROM_S, size, scratch);
    c += FROM_B * size;
    fd_normal(fd_seed(3), FROM_R, c);
    fd_rfftn(2, n, FROM_B, 1, A, (fd_cplx *)(c + FROM_R), scratch);
}

/* called on threads of the caller, who may even allow threads of threads: the bits of one call
 * alone */
static void from_threads(fd_arena a)
{
    enum { T = 3 };
    const int threads = omp_get_max_threads(), levels = omp_get_max_active_levels();
    const size_t share = (size_t)12 << 20;
    fd_real *A, *C[T + 1];
    fd_status st[T + 1];
    fd_arena own[T + 1];
    fill(&a, 1, (FROM_M + FROM_N) * FROM_K, &A);
    for (int i = 0; i <= T; i++) {
        void *mem = fd_take(&a, share, 1);
        C[i] = fd_new(&a, fd_real, FROM_ALL);
        if (!mem || !C[i]) { OK(0, "no memory"); return; }
        own[i] = fd_arena_over(mem, share, &st[i]);
    }
    some_calls(A, C[T], own[T]);
    omp_set_num_threads(T);
    omp_set_max_active_levels(2);
    #pragma omp parallel for schedule(static)
    for (int i = 0; i < T; i++) some_calls(A, C[i], own[i]);
    omp_set_max_active_levels(levels);
    omp_set_num_threads(threads);
    for (int i = 0; i < T; i++)
        OK(!st[i].code && !st[T].code && !memcmp(C[i], C[T], FROM_ALL * sizeof *A),
           "thread %d of the caller", i);
}
#endif

static void batches(fd_arena a)
{
    static const struct { int count, ta, tb, m, n, k, own_a, own_b; double beta; } rows[] = {
        { 9, 0, 1, 65, 65, 32, 1, 1, 0 }, { 30, 0, 0, 24, 28, 64, 1, 1, 1 },
        { 7, 1, 0, 13, 5, 40, 1, 0, 0 }, { 6, 0, 0, 10, 33, 7, 1, 0, 0.5 },
        { 5, 1, 1, 3, 50, 8, 0, 1, 0 }, { 3, 0, 0, 4, 6, 5000, 1, 1, 1 },
        { 1, 0, 0, 8, 8, 8, 1, 1, 0 }, { 0, 0, 0, 8, 8, 8, 1, 1, 0 }, { 4, 0, 0, 8, 8, 0, 1, 1, 0 },
        { 40, 0, 0, 64, 64, 64, 1, 1, 0 }, { 5, 0, 1, 20, 600, 9, 1, 0, 1 } };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const int c = rows[r].count, m = rows[r].m, n = rows[r].n, k = rows[r].k;
        const int ta = rows[r].ta, tb = rows[r].tb, lda = ta ? m : k, ldb = tb ? k : n;
        const ptrdiff_t sa = rows[r].own_a * m * k, sb = rows[r].own_b * k * n, sc = m * n + 3;
        fd_arena b = a;
        fd_real *A, *B, *C, *D;
        fill(&b, 1, c * m * k + 1, &A);
        fill(&b, 2, c * n * k + 1, &B);
        fill(&b, 3, c * sc + 1, &C);
        fill(&b, 3, c * sc + 1, &D);
        fd_gemm_batch(c, ta, tb, m, n, k, 1.1, A, lda, sa, B, ldb, sb, rows[r].beta, C, n, sc, b);
        for (int i = 0; i < c; i++)
            fd_gemm(ta, tb, m, n, k, 1.1, A + i * sa, lda, B + i * sb, ldb, rows[r].beta,
                    D + i * sc, n, b);
        OK(!memcmp(C, D, (size_t)(c * sc + 1) * sizeof *C), "row %d", (int)r);
    }
}

static void product_errors(fd_arena a)
{
    static const struct { int ta, tb, m, n, k, lda, ldb, ldc; const char *text; } rows[] = {
        { 0, 0, -1, 2, 3, 3, 2, 2, "fd_gemm: negative size: m, n, k: -1, 2, 3" },
        { 0, 0, 1, -2, 3, 3, 2, 2, "fd_gemm: negative size: m, n, k: 1, -2, 3" },
        { 0, 0, 1, 2, -3, 3, 2, 2, "fd_gemm: negative size: m, n, k: 1, 2, -3" },
        { 0, 0, 4, 2, 3, 2, 2, 2, "fd_gemm: lda below the width of A: 2, 3" },
        { 1, 0, 4, 2, 3, 3, 2, 2, "fd_gemm: lda below the width of A: 3, 4" },
        { 0, 0, 4, 2, 3, 3, 1, 2, "fd_gemm: ldb below the width of B: 1, 2" },
        { 0, 1, 4, 2, 3, 3, 2, 2, "fd_gemm: ldb below the width of B: 2, 3" },
        { 0, 0, 4, 2, 3, 3, 2, 1, "fd_gemm: ldc below the width of C: 1, 2" } };
    fd_real x[64] = { 0 };
    char buf[160];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fd_status st = *a.st;
        fd_arena s = { a.beg, a.end, &st };
        x[50] = 7;
        fd_gemm(rows[i].ta, rows[i].tb, rows[i].m, rows[i].n, rows[i].k, 1, x, rows[i].lda, x,
                rows[i].ldb, 0, x + 50, rows[i].ldc, s);
        fd_explain(&st, buf, sizeof buf);
        OK(st.code == FD_ESHAPE && !strcmp(buf, rows[i].text), "row %d: %s", (int)i, buf);
        OK(x[50] == 7, "row %d: C is touched", (int)i);
        fd_status st2 = *a.st;
        s.st = &st2;
        fd_gemm_batch(2, rows[i].ta, rows[i].tb, rows[i].m, rows[i].n, rows[i].k, 1, x, rows[i].lda,
                      0, x, rows[i].ldb, 0, 0, x + 50, rows[i].ldc, 4, s);
        OK(st2.code == FD_ESHAPE && x[50] == 7, "batch, row %d", (int)i);
    }
    /* sums of nothing: alpha = 0 or k = 0 leave beta C; no rows or columns, nothing */
    static const struct { int m, n, k; double alpha, want; } none[] = {
        { 1, 1, 1, 0, 21 }, { 1, 1, 0, 1, 21 }, { 0, 1, 1, 1, 7 }, { 1, 0, 1, 1, 7 } };
    for (int i = 0; i < 4; i++)
        for (int batch = 0; batch < 2; batch++) {
            x[0] = 1, x[50] = 7;
            if (batch) fd_gemm_batch(1, 0, 0, none[i].m, none[i].n, none[i].k, none[i].alpha, x, 1,
                                     1, x, 1, 1, 3, x + 50, 1, 1, a);
            else fd_gemm(0, 0, none[i].m, none[i].n, none[i].k, none[i].alpha, x, 1, x, 1, 3,
                         x + 50, 1, a);
            NEAR((double)x[50], none[i].want, 0, "row %d, batch %d", i, batch);
        }
    fd_status st = *a.st;
    fd_arena s = { a.beg, a.end, &st };
    fd_gemm_batch(-1, 0, 0, 1, 1, 1, 1, x, 1, 1, x, 1, 1, 0, x + 50, 1, 1, s);
    fd_explain(&st, buf, sizeof buf);
    OK(st.code == FD_ESHAPE && !strcmp(buf, "fd_gemm_batch: negative count: -1"), "%s", buf);
    x[50] = 7;
    fd_gemm(0, 0, 1, 1, 1, 1, x, 1, x, 1, 0, x + 50, 1, s);
    OK(x[50] == 7, "does nothing after a failure");
}

static void cholesky(fd_arena a)
{
    static const int sizes[] = { 0, 1, 2, 3, 5, 17, 33, 70, 150 };
    for (size_t q = 0; q < sizeof sizes / sizeof *sizes; q++) {
        const int n = sizes[q];
        fd_arena b = a;
        fd_status st = { 0 };
        double *L = fd_new(&b, double, n * n), *A = fd_raw(&b, double, n * n);
        double *x = fd_raw(&b, double, n), *y = fd_raw(&b, double, n), e = 0, f = 0, upper = 0;
        fd_real *z;
        fill(&b, 1, n * n + n, &z);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) L[i * n + j] = (double)z[i * n + j] / n;
            L[i * n + i] = 0.5 + fabs((double)z[i * n + i]);
        }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double s = 0;
                for (int p = 0; p < n; p++) s += L[i * n + p] * L[j * n + p];
                A[i * n + j] = j > i ? NAN : s;                   /* not read */
            }
        OK(fd_cholesky(&st, n, A) == FD_OK, "n = %d", n);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                e = fmax(e, fabs(A[i * n + j] - L[i * n + j]));
                if (j > i && A[i * n + j] != 0) upper = 1;
            }
        NEAR(e, 0, 2e-13, "n = %d: the factor", n);
        OK(!upper, "n = %d: upper triangle", n);
        for (int trans = 0; trans < 2; trans++) {                 /* x = op(L) z: solving gives z */
            for (int i = 0; i < n; i++) {
                x[i] = 0;
                for (int j = 0; j < n; j++)
                    x[i] += (trans ? L[j * n + i] : L[i * n + j]) * (double)z[n * n + j];
                y[i] = (double)z[n * n + i];
            }
            fd_solve_lower(n, L, trans, x);
            for (int i = 0; i < n; i++) f = fmax(f, fabs(x[i] - y[i]));
        }
        NEAR(f, 0, 1e-12, "n = %d: solutions", n);
    }
    /* not positive definite from row 2 on; NaN; a failure before */
    static const double bad[9] = { 4, 0, 0, 2, 5, 0, 2, 5, 5 };
    for (int way = 0; way < 3; way++) {
        double A[9];
        char buf[100];
        fd_status st = { 0 };
        memcpy(A, bad, sizeof A);
        if (way == 1) A[4] = NAN;
        if (way == 2) FD_FAIL(&st, FD_EIO, "x", "y");
        OK(fd_cholesky(&st, 3, A) == (way == 2 ? FD_EIO : FD_EDATA), "way %d", way);
        fd_explain(&st, buf, sizeof buf);
        OK(!strcmp(buf, way == 0 ? "fd_cholesky: not positive definite at row: 2" : way == 1
                        ? "fd_cholesky: not positive definite at row: 1" : "x: y"), "%s", buf);
        if (way == 2) OK(!memcmp(A, bad, sizeof A), "untouched");
    }
    fd_status st = { 0 };
    OK(fd_cholesky(&st, -2, NULL) == FD_ESHAPE, "negative size");
}

/* residual, orthogonality, order, signs of one eigenproblem; A is kept in K */
static void eigen_one(fd_arena a, const char *what, int n, const double *K, const double *want,
                      double top)
{
    fd_status st = { 0 };
    double *A = fd_raw(&a, double, n * n), *V = fd_raw(&a, double, n * n);
    double *w = fd_raw(&a, double, n);
    double res = 0, orth = 0, off = 0;
    int order = 0, sign = 0;
    memcpy(A, K, (size_t)(n * n) * sizeof *A);
    OK(fd_eigen(&st, n, A, w, V, a) == FD_OK, "%s %d", what, n);
    for (int k = 0; k < n; k++) {
        int big = 0;
        for (int i = 0; i < n; i++) {
            double s = 0, u = 0;
            for (int j = 0; j < n; j++) {
                s += K[i * n + j] * V[k * n + j];
                u += V[i * n + j] * V[k * n + j];
            }
            res = fmax(res, fabs(s - w[k] * V[k * n + i]));
            orth = fmax(orth, fabs(u - (i == k)));
            if (fabs(V[k * n + i]) > fabs(V[k * n + big])) big = i;
        }
        if (k && w[k] > w[k - 1]) order = 1;
        if (!(V[k * n + big] > 0)) sign = 1;
        if (want) off = fmax(off, fabs(w[k] - want[k]));
    }
    NEAR(res, 0, 1e-14 * top * (1 + n), "%s %d: residual", what, n);
    NEAR(orth, 0, 1e-14 * (1 + n), "%s %d: orthogonality", what, n);
    NEAR(off, 0, 1e-14 * top * (1 + n), "%s %d: eigenvalues", what, n);
    OK(!order && !sign, "%s %d: order and signs", what, n);
}

static void eigen(fd_arena a)
{
    static const int sizes[] = { 0, 1, 2, 3, 4, 7, 16, 33, 100, 160 };
    for (size_t q = 0; q < sizeof sizes / sizeof *sizes; q++) {
        const int n = sizes[q];
        const double pi = 3.14159265358979323846;
        fd_arena b = a;
        double *K = fd_raw(&b, double, n * n), *w = fd_raw(&b, double, n);
        fd_real *z;
        fill(&b, 1, n * n, &z);
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++) K[i * n + j] = K[j * n + i] = (double)z[i * n + j];
        eigen_one(b, "random", n, K, NULL, 3);
        for (int i = 0; i < n * n; i++) K[i] *= 1e-200;            /* scale must not matter */
        eigen_one(b, "tiny", n, K, NULL, 3e-200);
        for (int i = 0; i < n; i++) {                              /* 2 - 2 cos(pi (k+1)/(n+1)) */
            for (int j = 0; j < n; j++) K[i * n + j] = i == j ? 2 : abs(i - j) == 1 ? -1 : 0;
            w[i] = 2 - 2 * cos(pi * (n - i) / (n + 1));
        }
        eigen_one(b, "chain", n, K, w, 4);
        for (int i = 0; i < n; i++) {                              /* one n + 2, the others 2 */
            for (int j = 0; j < n; j++) K[i * n + j] = 1 + 2 * (i == j);
            w[i] = i ? 2 : n + 2;
        }
        eigen_one(b, "degenerate", n, K, w, n + 2);
        for (int i = 0; i < n; i++) {                              /* diagonal, ascending */
            for (int j = 0; j < n; j++) K[i * n + j] = i == j ? i - 3 : 0;
            w[i] = n - 1 - i - 3;
        }
        eigen_one(b, "diagonal", n, K, w, n + 3);
        for (int i = 0; i < n * n; i++) K[i] = 0;
        eigen_one(b, "zero", n, K, NULL, 0);
        for (int i = 0; i < n; i++)                                /* falling below rounding */
            for (int j = 0; j < n; j++) K[i * n + j] = exp(-0.5 * pow((i - j) / (0.2 * n), 2));
        eigen_one(b, "smooth", n, K, NULL, n);
    }
    /* 2 x 2 by hand: (5 +- sqrt 5)/2 */
    const double s5 = sqrt(5), K[4] = { 2, 1, 1, 3 }, w[2] = { (5 + s5) / 2, (5 - s5) / 2 };
    double A[4], V[4], u[2];
    fd_status st = { 0 };
    eigen_one(a, "by hand", 2, K, w, 4);
    memcpy(A, K, sizeof A);
    fd_eigen(&st, 2, A, u, V, a);
    NEAR(V[0], 2 / sqrt(10 + 2 * s5), 1e-15, "vector");
    NEAR(V[2], (1 + s5) / sqrt(10 + 2 * s5), 1e-15, "vector: positive where it is largest");
    NEAR(V[3], -2 / sqrt(10 + 2 * s5), 1e-15, "vector");
    char buf[100];
    memcpy(A, K, sizeof A);
    A[2] = NAN;
    OK(fd_eigen(&st, 2, A, u, V, a) == FD_EDATA, "NaN");
    fd_explain(&st, buf, sizeof buf);
    OK(!strcmp(buf, "fd_eigen: not finite: row, column: 1, 0"), "%s", buf);
    OK(fd_eigen(&st, 2, A, u, V, a) == FD_EDATA, "sticky");
    st.code = 0;
    OK(fd_eigen(&st, -1, A, u, V, a) == FD_ESHAPE, "negative size");
}

/* a chain in every size of arena: FD_ENOMEM and nothing else, or the right answer */
static void starved(fd_arena a)
{
    enum { M = 9, N = 11, K = 13, Q = 4 };
    fd_real *A, *B, *want = fd_raw(&a, fd_real, M * N), C[M * N];
    double S[Q * Q], V[Q * Q], w[Q];
    fill(&a, 1, Q * M * K, &A);
    fill(&a, 2, Q * K * N, &B);
    fd_gemm(0, 0, M, N, K, 1, A, K, B, N, 0, want, N, a);
    int failed = 0;
    for (size_t size = 0;; size += 64) {
        fd_status st;
        fd_arena s = fd_arena_over(a.beg, size, &st);
        fd_gemm(0, 0, M, N, K, 1, A, K, B, N, 0, C, N, s);
        for (int i = 0; i < Q * Q; i++) S[i] = i % 5 ? 0 : i + 1;
        fd_eigen(s.st, Q, S, w, V, s);
        if (!st.code) {
            OK(!memcmp(C, want, sizeof C), "size %zu: product", size);
            NEAR(w[0], 16, 1e-14, "size %zu: eigenvalue", size);
            break;
        }
        failed++;
        if (st.code != FD_ENOMEM || size > 10 << 20) {
            OK(0, "size %zu: code %d", size, st.code);
            break;
        }
    }
    OK(failed > 0, "never starved");
#ifndef FD_PLAIN                       /* plain loops over entries need no memory */
    fd_status st;
    fd_arena s = fd_arena_over(a.beg, 64, &st);
    fd_gemm_batch(3, 0, 0, M, N, K, 1, A, K, M * K, B, N, K * N, 0, C, N, 0, s);
    OK(st.code == FD_ENOMEM, "batch");
    s = fd_arena_over(a.beg, 64, &st);
    fd_gemm(0, 0, 1, 1, 5000, 1, A, 5000, B, 1, 0, C, 1, s);
    OK(st.code == FD_ENOMEM, "long sum");
#endif
}

static fd_real starve_A[40 * 4200], starve_B[4200 * 40];
static void starve_product(const void *self, fd_real *C, fd_arena a)
{
    const int *k = self;
    fd_gemm(0, 1, 33, 35, *k, 1.1, starve_A, *k, starve_B, *k, 0.7, C, 35, a);
}
static void starve_batch(const void *self, fd_real *C, fd_arena a)
{
    const int *k = self;
    fd_gemm_batch(4, 0, 1, 8, 35, *k, 1.1, starve_A, *k, 8 * *k, starve_B, *k, 0, 0.7, C, 35,
                  8 * 35, a);
}
static void starve_eigen(const void *self, fd_real *out, fd_arena a)
{
    double A[49], w[7], V[49];
    for (int i = 0; i < 49; i++) A[i] = (double)out[i], V[i] = (double)out[49 + i];
    for (int i = 0; i < 7; i++) w[i] = (double)out[98 + i];
    (void)self;
    fd_eigen(a.st, 7, A, w, V, a);
    for (int i = 0; i < 49; i++) out[i] = (fd_real)A[i], out[49 + i] = (fd_real)V[i];
    for (int i = 0; i < 7; i++) out[98 + i] = (fd_real)w[i];
}

/* what lacks memory leaves its output as it was */
static void untouched(void)
{
    static const int lengths[] = { 13, 300, 4200 };
    fd_real C[33 * 35];
    fd_normal(fd_seed(1), 40 * 4200, starve_A);
    fd_normal(fd_seed(2), 40 * 4200, starve_B);
    fd_normal(fd_seed(3), 33 * 35, C);
    for (int i = 0; i < 3; i++) {
        test_starve("fd_gemm", starve_product, &lengths[i], 33 * 35, C);
        test_starve("fd_gemm_batch", starve_batch, &lengths[i], 4 * 8 * 35, C);
    }
    test_starve("fd_eigen", starve_eigen, NULL, 105, C);
}

void test_algebra(void)
{
    fd_status st;
    fd_arena a = test_arena(64 << 20, &st);
    products(a);
    product_bits(a);
#ifdef _OPENMP
    from_threads(a);
#endif
    batches(a);
    product_errors(a);
    cholesky(a);
    eigen(a);
    starved(a);
    untouched();
    OK(!st.code, "arena");
    test_free();
    long_sums();
}
