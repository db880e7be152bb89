/* test_foreign.c -- networks of other programs: tests/data has weights as PyTorch saves them and
 * what the original answers, in double, both made by tests/foreign.py; names and shapes that are
 * wrong. */
#include "test.h"

#define DATA "tests/data/"

static const struct row {
    const char *file;
    int kind, nd, n[3];
    fd_foreign how;
    fd_arch arch;                                     /* what must have been found in the file */
} rows[] = {
    { "fno1.npz", FD_FROM_FNO, 1, { 13 }, { .act = FD_TANH, .tscale = 1e-3 },
      { .kind = FD_FNO_ORIGINAL, .in = 1, .out = 1, .width = 4, .layers = 4,
        .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
        .fno = { .modes = { 4 }, .proj = 6 } } },
    { "fno2.safetensors", FD_FROM_FNO, 2, { 7, 6 }, { 0 },
      { .kind = FD_FNO_ORIGINAL, .in = 1, .out = 1, .width = 3, .layers = 3,
        .time = FD_TIME_CHANNEL, .coords = FD_COORD_CLOSED,
        .fno = { .modes = { 3, 2 }, .proj = 5 } } },
    { "fno2pad.safetensors", FD_FROM_FNO, 2, { 8, 8 },
      { .time = FD_TIME_NONE, .pad = { 0.25, 0.25 } },
      { .kind = FD_FNO_ORIGINAL, .in = 2, .out = 1, .width = 3, .layers = 2,
        .coords = FD_COORD_CLOSED, .fno = { .modes = { 2, 3 }, .proj = 5 } } },
    { "fno3.safetensors", FD_FROM_FNO, 3, { 5, 4, 6 }, { 0 },
      { .kind = FD_FNO_ORIGINAL, .in = 1, .out = 1, .width = 2, .layers = 2,
        .coords = FD_COORD_CLOSED, .fno = { .modes = { 2, 1, 2 }, .proj = 3 } } },
    { "operator02.safetensors", FD_FROM_NEURALOP_02, 2, { 6, 7 }, { 0 },
      { .kind = FD_FNO_ORIGINAL, .in = 2, .out = 1, .width = 3, .layers = 3,
        .fno = { .modes = { 2, 3 }, .proj = 5 } } },
    { "operator03.npz", FD_FROM_NEURALOP_03, 2, { 6, 8 },
      { .coords = FD_COORD_CLOSED, .reversed = 1, .tscale = 1e-3 },
      { .kind = FD_FNO_BLOCK, .in = 1, .out = 1, .width = 3, .layers = 3, .time = FD_TIME_CHANNEL,
        .coords = FD_COORD_CLOSED, .fno = { .modes = { 4, 4 }, .lift = 6, .proj = 5 } } },
    { "operator2.safetensors", FD_FROM_NEURALOP, 2, { 9, 7 }, { 0 },
      { .kind = FD_FNO_BLOCK, .in = 2, .out = 2, .width = 4, .layers = 2, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 3, 4 }, .lift = 6, .proj = 5 } } },
    { "operator2pad.safetensors", FD_FROM_NEURALOP, 2, { 8, 8 },
      { .act = FD_SILU, .pad = { 0.25, 0.25 } },
      { .kind = FD_FNO_BLOCK, .in = 1, .out = 1, .width = 3, .layers = 2, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 4, 4 }, .lift = 4, .proj = 4 } } },
    { "operator2plain.safetensors", FD_FROM_NEURALOP, 1, { 9 }, { 0 },
      { .kind = FD_FNO_BLOCK, .in = 1, .out = 1, .width = 3, .layers = 3, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 4 }, .lift = 5, .proj = 4 } } },
    { "operator2norm.safetensors", FD_FROM_NEURALOP, 2, { 6, 8 }, { .norms = 2 },
      { .kind = FD_FNO_BLOCK, .in = 1, .out = 1, .width = 4, .layers = 2, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 4, 4 }, .lift = 4, .proj = 4 } } },
    { "operator03mlp.safetensors", FD_FROM_NEURALOP_03, 1, { 10 },
      { .norms = -1, .skip = 1, .mix_skip = 1 },
      { .kind = FD_FNO_BLOCK, .in = 2, .out = 1, .width = 3, .layers = 2,
        .fno = { .modes = { 6 }, .lift = 4, .proj = 4 } } },
    { "operator2tucker.safetensors", FD_FROM_NEURALOP, 2, { 8, 6 }, { 0 },
      { .kind = FD_FNO_BLOCK, .in = 1, .out = 1, .width = 3, .layers = 2, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 4, 4 }, .lift = 4, .proj = 4 } } },
    { "operator02cp.safetensors", FD_FROM_NEURALOP_02, 2, { 8, 6 }, { 0 },
      { .kind = FD_FNO_ORIGINAL, .in = 2, .out = 1, .width = 3, .layers = 2,
        .fno = { .modes = { 2, 2 }, .proj = 4 } } },
    { "operator1.safetensors", FD_FROM_NEURALOP, 3, { 6, 4, 6 }, { .version = 1 },
      { .kind = FD_FNO_BLOCK, .in = 1, .out = 1, .width = 3, .layers = 2, .coords = FD_COORD_OPEN,
        .fno = { .modes = { 4, 2, 4 }, .lift = 4, .proj = 4 } } },
    { "uvit.safetensors", FD_FROM_UVIT, 2, { 6, 6 }, { .heads = 2 },
      { .kind = FD_UVIT, .in = 2, .out = 2, .width = 8, .layers = 3, .time = FD_TIME_TOKEN } },
    { "uvit_bare.safetensors", FD_FROM_UVIT, 2, { 4, 4 }, { .heads = 4, .grid = { 4, 4 } },
      { .kind = FD_UVIT, .in = 1, .out = 1, .width = 8, .layers = 3, .time = FD_TIME_TOKEN } },
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static fd_tensors load(fd_arena *a, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, DATA "%s", name);
    return fd_tensors_load(a, path);
}

/* "fno1.npz", 'x': the tensor fno1.x */
static const fd_tensor *io_of(const fd_tensors *io, const char *file, char what)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s.%c", (int)strcspn(file, "."), file, what);
    return fd_tensor_find(io, name);
}

/* the output for x, with gradients on the tape or not */
static double error_of(fd_arena a, const fd_net *net, const struct row *r, const fd_tensors *io,
                       int mode)
{
    const fd_tensor *x = io_of(io, r->file, 'x'), *y = io_of(io, r->file, 'y');
    const fd_tensor *t = io_of(io, r->file, 't');
    double time[4] = { 0 };
    int b = x->n[0], n[3] = { b, r->arch.in, 1 };
    fd_space s = fd_grid(&a, r->nd, r->n, NULL, NULL, 1);
    n[2] = (int)s.points;
    for (int i = 0; i < b; i++) time[i] = t ? (double)t->x[i] : 0;
    fd_tape tape = fd_tape_begin(&a, mode);
    fd_var *v = fd_forward(net, &tape, &s, fd_input(&tape, 3, n, x->x), time);
    return v && !a.st->code ? test_rel(fd_count(v), v->x, y->x) : NAN;
}

static void outputs(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st), keep;
    fd_tensors io = load(&a, "io.npz");
    OK(!st.code && io.count > 2 * ROWS, "io.npz: %s", st.code ? st.what : "");
    keep = a;
    for (int i = 0; i < ROWS && !st.code; i++) {
        const struct row *r = &rows[i];
        fd_net *net, *again;
        char line[300];
        a = keep;
        fd_tensors f = load(&a, r->file);
        OK(fd_foreign_kind(&f) == r->kind, "%s is taken for %s", r->file,
           fd_foreign_name(fd_foreign_kind(&f)));
        net = fd_net_from(&a, &f, &r->how);
        fd_explain(&st, line, sizeof line);
        OK(net && !st.code, "%s: %s", r->file, line);
        if (!net) { st.code = FD_OK; continue; }
        const fd_arch *A = &net->arch, *B = &r->arch;
        OK(A->kind == B->kind && A->nd == r->nd && A->in == B->in && A->out == B->out
           && A->width == B->width && A->layers == B->layers
           && A->time == (B->time ? B->time : FD_TIME_NONE)
           && A->coords == (B->coords ? B->coords : FD_COORD_NONE),
           "%s: network", r->file);
        OK(!B->fno.proj
           || (A->fno.proj == B->fno.proj && (!B->fno.lift || A->fno.lift == B->fno.lift)
               && !memcmp(A->fno.modes, B->fno.modes, sizeof A->fno.modes)),
           "%s: widths, modes", r->file);
        OK(r->how.norms < 1 || A->fno.norms == r->how.norms, "%s: norms", r->file);
        for (int mode = FD_EVAL; mode <= FD_GRAD2; mode++)
            NEAR(error_of(a, net, r, &io, mode), 0, TOL(1e-12, 1e-5), "%s: output, tape %d",
                 r->file, mode);
        /* through a file of ours */
        const char *path = test_path("foreign.safetensors");
        fd_net_save(&st, path, net, NULL, NULL, a);
        fd_net_load(&a, path, &again, NULL);
        OK(again && !memcmp(net->w, again->w, (size_t)net->count * sizeof *net->w)
           && !memcmp(&net->arch, &again->arch, sizeof net->arch), "%s: saved and loaded", r->file);
        /* what the file cannot tell matters: without it the answer is another one */
        static const fd_foreign none;
        if (!memcmp(&r->how, &none, sizeof none) || r->kind == FD_FROM_UVIT
            || !strcmp(r->file, "fno2pad.safetensors"))
            continue;
        net = fd_net_from(&a, &f, NULL);
        double e = net && net->arch.in == B->in ? error_of(a, net, r, &io, FD_EVAL) : 1;
        OK(e > 1e-4, "%s: what the file cannot tell changes nothing, %g", r->file, e);
        st.code = FD_OK;
    }
}

/* another shape, with numbers for all of it */
static void reshape(fd_arena *a, fd_tensor *t, int nd, const int n[])
{
    ptrdiff_t was = 1, is = 1;
    for (int i = 0; i < t->nd; i++) was *= t->n[i];
    for (int i = 0; i < nd; i++) is *= t->n[i] = n[i];
    t->nd = nd;
    if (is <= was) return;
    fd_real *x = fd_new(a, fd_real, is);
    if (x) memcpy(x, t->x, (size_t)was * sizeof *x);
    t->x = x;
}

/* Each tensor of a file in turn has another name or another shape. */
static void wrong_each(const struct row *r)
{
    fd_status st;
    char line[300];
    fd_arena a = test_arena(1 << 22, &st), keep;
    fd_tensors f = load(&a, r->file);
    keep = a;
    fd_tensor *all = f.tensor;
    for (int j = 0; j < f.count; j++) {
        fd_tensor was = all[j];
        const char *name = strncmp(was.name, "model.", 6) ? was.name : was.name + 6;
        for (int c = 0; c < 3; c++) {
            a = keep;
            if (c == 2 && was.n[was.nd - 1] == 1) continue;         /* may as well be missing */
            if (c == 1 && !strcmp(name, "fc0.weight")) continue;     /* one more channel */
            int n[FD_MAXD];
            memcpy(n, was.n, sizeof n);
            n[was.nd - 1] += c == 1;
            if (c == 0) all[j].name = "lost";
            else reshape(&a, &all[j], was.nd - (c == 2), n);
            const char *beg = a.beg;
            fd_net *net = fd_net_from(&a, &f, &r->how);
            fd_explain(&st, line, sizeof line);
            OK(!net && st.code && a.beg == beg, "%s, %s, case %d: %d", r->file, was.name, c,
               st.code);
            /* a wrong shape of one can be blamed on its neighbour; most names are there */
            OK(strstr(line, "fd_net_from: "), "%s, %s, case %d: %s", r->file, was.name, c, line);
            char stem[100] = "";
            /* its layer may be blamed by another name */
            strncat(stem, name, strcspn(name, "0123456789"));
            if (c == 0 && fd_foreign_kind(&f) == r->kind)
                OK(strstr(line, stem) || strstr(line, "no place for: "), "%s, %s: %s", r->file,
                   name, line);
            all[j] = was;
            st.code = FD_OK;
        }
    }
}

/* One tensor of a file is another one. */
static void wrong_one(void)
{
    fd_status st;
    fd_arena a;
    char line[300];
    static const struct {
        int row;
        const char *name;
        int nd, n[3];
        const char *becomes, *says;
    } bad[] = {
        { 6, "fno_blocks.fno_skips.1.conv.weight", 3, { 4, 5, 1 }, NULL,
          "tensor of another shape: fno_blocks.fno_skips.1.conv.weight is 4 5 1, not 4 4" },
        { 1, "conv2.weights2", 0, { 0 }, "conv2.weights3", "missing tensor: conv2.weights2" },
        { 1, "w0.bias", 2, { 3, 1 }, NULL, NULL },
        { 1, "w0.bias", 1, { 2 }, NULL, "tensor of another shape: w0.bias is 2, not 3" },
        { 1, "conv0.weights1", 3, { 3, 3, 3 }, NULL, "last axis of 2: conv0.weights1" },
        { 1, "fc0.weight", 2, { 3, 2 }, NULL, "too few inputs: all, coordinates, time: 2, 2, 0" },
        { 6, "fno_blocks.convs.0.bias", 0, { 0 }, "fno_blocks.norm.0.weight",
          "missing tensor: fno_blocks.convs.0.bias" },
        { 11, "fno_blocks.convs.1.weight.factors.factor_2", 2, { 4, 3 }, NULL,
          "not the factors of a Tucker or CP tensor" },
        { 11, "fno_blocks.convs.1.weight.factors.factor_3", 0, { 0 }, "x",
          "factors are missing: fno_blocks.convs.1.weight.core" },
        { 14, "mid_block.norm2.weight", 0, { 0 }, "mid_block.norm.weight",
          "missing tensor: mid_block.norm2.weight" },
        { 14, "norm.bias", 0, { 0 }, "label_emb.weight", "a U-ViT with classes" },
        { 1, "w2.bias", 0, { 0 }, "q.mlp1.weight", "the second release of FNO" },
        { 3, "w1.bias", 0, { 0 }, "bn0.running_var", "missing tensor: w1.bias" },
        { 6, "fno_blocks.fno_skips.1.conv.weight", 0, { 0 }, "x",
          "are they the identity or none? say so" },
        { 6, "fno_blocks.channel_mlp_skips.1.weight", 0, { 0 }, "x",
          "missing tensor: fno_blocks.channel_mlp_skips.1" },
        { 10, "fno_blocks.convs.weight.1.tensor", 0, { 0 }, "fno_blocks.convs.weight.tensor",
          "one tensor for all layers (joint_factorization)" },
        { 14, "pos_embed", 3, { 1, 9, 8 }, NULL,
          "tensor of another shape: pos_embed is 1 9 8, not 1 10 8" },
        { 14, "decoder_pred.weight", 1, { 64 }, NULL,
          "tensor of another shape: decoder_pred.weight is 64, not 8 8" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct row *r = &rows[bad[i].row];
        a = test_arena(1 << 22, &st);
        fd_tensors f = load(&a, r->file);
        fd_tensor *t = NULL;
        for (int j = 0; j < f.count; j++)
            if (!strcmp(f.tensor[j].name, bad[i].name)) t = &f.tensor[j];
        OK(t != NULL, "%s", bad[i].name);
        if (!t) continue;
        if (bad[i].becomes) t->name = bad[i].becomes;
        if (bad[i].nd) reshape(&a, t, bad[i].nd, bad[i].n);
        fd_net *net = fd_net_from(&a, &f, &r->how);
        fd_explain(&st, line, sizeof line);
        if (bad[i].says) OK(!net && strstr(line, bad[i].says), "%s: %s", bad[i].says, line);
        else OK(net && !st.code, "%s: %s", bad[i].name, line);
    }
}

/* What is needed, and what may be there, but is not numbers. */
static void not_numbers(fd_tensors f, fd_arena a)
{
    char line[300];
    fd_tensor none = { .type = "F8_E4M3: its type is not one of numbers" };
    static const char *const not[] = { "fno_blocks.convs.1.bias", "fno_blocks.norm.0.weight",
                                       "fno_blocks.words" };
    for (int i = 0; i < 3; i++) {
        fd_tensors g = f;
        g.other = &none, g.others = 1, none.name = not[i], g.count = 0;
        fd_tensor *some = fd_raw(&a, fd_tensor, f.count);
        for (int j = 0; j < f.count; j++)
            if (strcmp(f.tensor[j].name, not[i])) some[g.count++] = f.tensor[j];
        g.tensor = some;
        fd_net *net = fd_net_from(&a, &g, NULL);
        fd_explain(a.st, line, sizeof line);
        if (i == 2) OK(net && !a.st->code, "words beside a network: %s", line);
        else OK(!net && strstr(line, "not numbers: ") && strstr(line, not[i]), "%s", line);
        a.st->code = FD_OK;
    }
}

/* Settings that make no sense. */
static void wrong_settings(const fd_tensors *f, fd_arena a)
{
    char line[300];
    static const struct { fd_foreign how; const char *says; } hows[] = {
        { { .time = FD_TIME_FILM }, "time is a channel or none" },
        { { .act = 99 }, "act must be 0..FD_IDENTITY, is: 99" },
        { { .coords = 9 }, "coords must be 0..FD_COORD_NONE, is: 9" },
        { { .norms = 3 }, "fno.norms must divide the width" },
        { { .pad = { 5, 5 } }, "fno.pad[0] must be in 0..4" },
        { { .modes = { 4 } }, "axis, modes, those there: 0, 4, 3" },
        { { .modes = { 0, -2 } }, "axis, modes, those there: 1, -2, 3" } };
    for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++) {
        OK(!fd_net_from(&a, f, &hows[i].how), "%s", hows[i].says);
        fd_explain(a.st, line, sizeof line);
        OK(strstr(line, hows[i].says), "%s: %s", hows[i].says, line);
        a.st->code = FD_OK;
    }
}

static void wrong(void)
{
    fd_status st;
    fd_arena a = test_arena(1 << 22, &st);
    char line[300];
    for (int i = 0; i < ROWS; i++) wrong_each(&rows[i]);
    wrong_one();
    /* one tensor too many; settings that make no sense; nothing at all */
    a = test_arena(1 << 22, &st);
    fd_tensors f = load(&a, rows[6].file);
    fd_tensor *more = fd_raw(&a, fd_tensor, f.count + 1);
    memcpy(more, f.tensor, (size_t)f.count * sizeof *more);
    more[f.count++] = (fd_tensor){ .name = "fno_blocks.ada.weight", .nd = 1, .n = { 4 },
                                   .x = more[0].x };
    f.tensor = more;
    fd_net_from(&a, &f, NULL);
    fd_explain(&st, line, sizeof line);
    OK(strstr(line, "no place for: fno_blocks.ada.weight"), "%s", line);
    st.code = FD_OK;
    /* what counts may be left over, by any name of its type; real numbers may not */
    static const char *const types[] = { "I64", "U8", "BOOL", "<i8", "|b1", "=q", "uint16", "int64",
                                         "?", "F32", "BF16", "<f8", "half", "" };
    more[f.count - 1].name = "fno_blocks.norm.0.num_batches_tracked";
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        more[f.count - 1].type = types[i];
        fd_net *net = fd_net_from(&a, &f, NULL);
        OK((net != NULL) == (i < 9), "left over, of type %s: %d", types[i], st.code);
        st.code = FD_OK;
    }
    f.count--;
    not_numbers(f, a);
    wrong_settings(&f, a);
    f.count = 0;
    OK(fd_foreign_kind(&f) == FD_FROM_NONE && !fd_net_from(&a, &f, NULL), "nothing");
    fd_explain(&st, line, sizeof line);
    OK(strstr(line, "no names of a network"), "%s", line);
    st.code = FD_OK;
    OK(fd_foreign_kind(NULL) == FD_FROM_NONE && !fd_net_from(&a, NULL, NULL)
       && strstr(explain(&st), "no names of a network"), "no list: %s", explain(&st));
    a = test_arena(1 << 22, &st);
    f = load(&a, rows[14].file);
    OK(!fd_net_from(&a, &f, NULL), "heads");
    fd_explain(&st, line, sizeof line);
    OK(strstr(line, "heads must be given"), "%s", line);
    OK(!strcmp(fd_foreign_name(FD_FROM_UVIT), "U-ViT") && !strcmp(fd_foreign_name(-1), "none")
       && !strcmp(fd_foreign_name(FD_FOREIGN), "none"), "names");
}

/* tensor `name` of f, which stands for another one from now on */
static fd_tensor *tensor(fd_tensors *f, const char *name)
{
    for (int i = 0; i < f->count; i++) if (!strcmp(f->tensor[i].name, name)) return &f->tensor[i];
    OK(0, "no tensor %s", name);
    return &f->tensor[0];
}

/* The weights of 3 + k and 4 modes, of which 3 and 3 are used; 0 without memory. */
static int more_modes(int k, fd_tensors *g, fd_arena *a)
{
    fd_tensor *t;
    for (int l = 0; l < 2; l++) {
        t = tensor(g, l ? "fno_blocks.convs.1.weight.tensor" : "fno_blocks.convs.0.weight.tensor");
        fd_real *x = fd_raw(a, fd_real, 16 * (3 + k) * 4 * 2);
        if (!x) return 0;
        fd_normal(fd_seed(5), 16 * (3 + k) * 4 * 2, x);
        for (int c = 0; c < 16; c++) for (int i = 0; i < 3; i++)
            memcpy(x + ((c * (3 + k) + i + k / 2) * 4) * 2, t->x + (c * 3 + i) * 3 * 2,
                   6 * sizeof *x);
        t->n[2] = 3 + k;
        t->n[3] = 4;
        t->x = x;
    }
    return 1;
}

/* The other form g of case k, and what is said about it; 0 without memory. */
static int other_form(int k, fd_tensors *f, fd_tensors *g, fd_foreign *how, fd_arena *a)
{
    fd_tensor *t;
    if (k < 3) {
        if (!more_modes(k, g, a)) return 0;
        how->modes[0] = 3;
        how->modes[1] = 4;
    } else if (k == 3) {                          /* coordinates on 1..1 + 2 pi and 0..5 */
        const double from[2] = { 1, 0 }, to[2] = { 1 + 2 * acos(-1), 5 };
        fd_real *w = (t = tensor(g, "lifting.fcs.0.weight"))->x,
            *b = tensor(g, "lifting.fcs.0.bias")->x;
        for (int d = 0; d < 2; d++)
            for (int j = 0; j < t->n[0]; j++) {
                w[j * t->n[1] + 2 + d] /= (fd_real)(to[d] - from[d]);
                b[j] -= (fd_real)(from[d] * (double)w[j * t->n[1] + 2 + d]);
            }
        memcpy(how->from, from, sizeof from);
        memcpy(how->to, to, sizeof to);
    /* no skip of the blocks, and the identity beside the MLP */
    } else if (k == 4) {
        for (int l = 0; l < 2; l++) {
            t = tensor(f, l ? "fno_blocks.fno_skips.1.conv.weight"
                       : "fno_blocks.fno_skips.0.conv.weight");
            memset(t->x, 0, 16 * sizeof *t->x);
            t = tensor(f, l ? "fno_blocks.channel_mlp_skips.1.weight"
                       : "fno_blocks.channel_mlp_skips.0.weight");
            for (int i = 0; i < 4; i++) t->x[i] = 1;
        }
        int n = 0;
        for (int i = 0; i < g->count; i++)
            if (!strstr(g->tensor[i].name, "skips")) g->tensor[n++] = g->tensor[i];
        g->count = n;
        how->skip = 2;
        how->mix_skip = 1;
    /* batch norms that are not used, and some that are */
    } else if (k < 7) {
        fd_tensor *more = fd_raw(a, fd_tensor, g->count + 1);
        if (!more) return 0;
        memcpy(more, g->tensor, (size_t)g->count * sizeof *more);
        more[g->count++] = (fd_tensor){ "bn0.weight", 1, { 2 }, g->tensor[0].x, NULL };
        g->tensor = more;
        if (k == 6) tensor(g, "w0.weight")->nd = 3;
    } else {                                      /* one layer: no activation follows it */
        for (int j = 0; j < 2; j++) {
            fd_tensors *s = j ? g : f;
            int n = 0;
            for (int i = 0; i < s->count; i++)
                if (!strstr(s->tensor[i].name, "convs.1")
                    && !strstr(s->tensor[i].name, "skips.1")
                    && !strstr(s->tensor[i].name, "mlp.1")) s->tensor[n++] = s->tensor[i];
            s->count = n;
        }
        how->act = FD_TANH;
    }
    return 1;
}

/* What files do not say. Each case has the same network twice: as the file has it, and in the other
 * form with what is said about it. */
static void told(void)
{
    fd_status st;
    char line[300];
    fd_arena all = test_arena(1 << 23, &st), a;
    for (int k = 0; k < 8; k++) {
        a = all;
        const struct row *r = &rows[k < 5 ? 6 : k < 7 ? 3 : 6];
        fd_tensors f = load(&a, r->file), g = load(&a, r->file);
        fd_foreign how = r->how;
        if (st.code) { OK(0, "%s: %s", r->file, st.what); return; }
        if (!other_form(k, &f, &g, &how, &a)) return;
        fd_net *p = fd_net_from(&a, &f, &r->how), *q = fd_net_from(&a, &g, &how);
        fd_explain(&st, line, sizeof line);
        st.code = FD_OK;
        if (k == 6) { OK(!q && strstr(line, "before August 2021"), "%s", line); continue; }
        OK(p && q, "case %d: %s", k, line);
        if (!p || !q) continue;
        fd_space s = fd_grid(&a, r->nd, r->n, NULL, NULL, 1);
        int n[3] = { 1, r->arch.in, (int)s.points };
        double time = .3;
        fd_real *x = fd_raw(&a, fd_real, n[1] * n[2]);
        fd_normal(fd_seed(3), n[1] * n[2], x);
        /* between lifting and projection it is linear: act is elsewhere */
        if (k == 7) {
            OK(p->arch.layers == 1 && p->arch.fno.acts == -1 && p->arch.fno.mix_acts == -1,
               "one layer: acts %d", p->arch.fno.acts);
            continue;
        }
        fd_tape tape = fd_tape_begin(&a, FD_EVAL);
        fd_var *y = fd_forward(p, &tape, &s, fd_input(&tape, 3, n, x), &time);
        fd_var *z = fd_forward(q, &tape, &s, fd_input(&tape, 3, n, x), &time);
        NEAR(y && z ? test_rel(fd_count(y), z->x, y->x) : 1, 0, TOL(1e-13, 3e-6), "case %d", k);
    }
}

/* Up to two tensors of a file have other names or shapes; what is wrong is seen before any number
 * is read. plain: nothing is said about the file. */
static const struct made {
    int row, plain;
    struct { const char *name, *becomes; int nd, n[FD_MAXD]; } edit[2];
    const char *says;
} mades[] = {
    { 6, 0, { { "fno_blocks.convs.0.bias", NULL, 5, { 4, 1, 1, 1, 1 } } }, "last axis of 2" },
    { 6, 0, { { "fno_blocks.convs.0.bias", NULL, 2, { 4, 1 } } }, "last axis of 2" },
    { 6, 0, { { "fno_blocks.convs.0.weight.tensor", NULL, 5, { 4, 4, 70000, 3, 2 } } },
      "fno.modes[0] must be 0..65536, is: 70000" },
    { 8, 0, { { "fno_blocks.convs.0.weight.tensor", NULL, 4, { 40000, 3, 3, 2 } } },
      "arena too small" },
    { 8, 0, { { "fno_blocks.convs.0.weight.tensor", NULL, 0, { 0 } } }, "last axis of 2" },
    { 5, 0, { { "model.fno_blocks.convs.bias", NULL, 0, { 0 } } }, "last axis of 2" },
    { 10, 0, { { "fno_blocks.mlp_skips.0.weight", NULL, 1, { 3 } } },
      "tensor of another shape: fno_blocks.mlp_skips.0.weight is 3, not 3 3" },
    { 11, 0, { { "fno_blocks.convs.1.weight.core", NULL, 1, { 2 } } }, "not the factors" },
    { 11, 0, { { "fno_blocks.convs.1.weight.factors.factor_2", NULL, 3, { 4, 5, 2 } } },
      "not the factors" },
    { 12, 0, { { "fno_blocks.convs.weight.3.factors.factor_0",
                 "fno_blocks.convs.weight.0.factors.factor_4", 3, { 3, 3, 2 } },
               { "fno_blocks.convs.weight.3.factors.factor_1",
                 "fno_blocks.convs.weight.0.factors.factor_5", 3, { 3, 3, 2 } } },
      "not the factors of a Tucker or CP tensor: fno_blocks.convs.weight.0.factors.factor_5" },
    { 12, 0, { { "fno_blocks.convs.weight.0.factors.factor_0", NULL, 3, { 1 << 30, 3, 2 } },
               { "fno_blocks.convs.weight.0.factors.factor_1", NULL, 3, { 1 << 30, 3, 2 } } },
      "too large: fno_blocks.convs.weight.0.factors.factor_0" },
    { 14, 0, { { "patch_embed.proj.weight", "patch_embed.proj.weights", 4, { 8, 2, 2, 2 } } },
      "missing tensor: patch_embed.proj.weight" },
    { 14, 0, { { "patch_embed.proj.weight", NULL, 2, { 8, 2 } } }, "patches have 1 to 3 axes" },
    { 14, 0, { { "patch_embed.proj.weight", NULL, 6, { 8, 2, 1, 1, 1, 1 } } },
      "patches have 1 to 3 axes" },
    { 14, 1, { { "mid_block.mlp.fc1.weight", "lost", 2, { 12, 8 } } },
      "missing tensor: mid_block.mlp.fc1.weight" },
    { 14, 0, { { "patch_embed.proj.weight", NULL, 4, { 8, 2, 65, 2 } } },
      "vit.patch[0] must be 0..64, is: 65" },
    { 14, 0, { { "patch_embed.proj.weight", NULL, 4, { 8, 2, 0, 2 } } }, "grid must be" },
    { 14, 0, { { "patch_embed.proj.weight", NULL, 3, { 8, 2, 2 } },
               { "pos_embed", NULL, 3, { 1, 2147483647, 8 } } }, "grid must be" },
    { 3, 0, { { "conv0.weights1", "conv0.weights1.x", 6, { 2, 2, 2, 1, 2, 2 } },
              { "w1.bias", "bn0.weight", 1, { 2 } } }, "missing tensor: conv0.weights1" },
    { 3, 0, { { "w0.weight", "bn0.weight", 1, { 2 } } }, "missing tensor: w0.weight" } };

static void wrong_made(void)
{
    fd_status st;
    fd_arena all = test_arena(1 << 21, &st);
    for (size_t i = 0; i < sizeof mades / sizeof mades[0]; i++) {
        const struct made *m = &mades[i];
        fd_arena a = all;
        fd_tensors f = load(&a, rows[m->row].file);
        for (int e = 0; e < 2 && m->edit[e].name; e++) {
            fd_tensor *t = tensor(&f, m->edit[e].name);
            if (m->edit[e].becomes) t->name = m->edit[e].becomes;
            t->nd = m->edit[e].nd;
            memcpy(t->n, m->edit[e].n, sizeof t->n);
        }
        fd_net *net = fd_net_from(&a, &f, m->plain ? NULL : &rows[m->row].how);
        OK(!net && strstr(explain(&st), m->says), "%d, %s: %s", (int)i, m->says, explain(&st));
        st.code = FD_OK;
    }
}

/* What takes more than two tensors: products of factors too large on the way, names with and
 * without a prefix, a width of which heads can be told. */
static void wrong_many(void)
{
    fd_status st;
    fd_arena all = test_arena(1 << 21, &st), a = all;
    fd_tensors f = load(&a, rows[11].file);
    for (int i = 0; i < f.count && sizeof(ptrdiff_t) > 4; i++) {
        fd_tensor *t = &f.tensor[i];
        if (strstr(t->name, ".convs.0.weight.factors")) t->n[1] = 1 << 19;
        for (int d = 0; d < 4 && strstr(t->name, ".convs.0.weight.core"); d++) t->n[d] = 1 << 19;
    }
    OK(sizeof(ptrdiff_t) < 8
       || (!fd_net_from(&a, &f, NULL)
           && strstr(explain(&st), "too large: fno_blocks.convs.0.weight.tensor")), "%s",
       explain(&st));
    st.code = FD_OK;
    a = all;
    f = load(&a, rows[1].file);
    char (*name)[40] = fd_take(&a, (size_t)f.count, sizeof *name);
    fd_tensor *more = fd_raw(&a, fd_tensor, f.count + 1);
    for (int i = 0; i < f.count; i++) {
        more[i] = f.tensor[i];
        snprintf(name[i], sizeof *name, "m.%s", f.tensor[i].name);
        more[i].name = name[i];
    }
    more[f.count++] = (fd_tensor){ "bn0.weight", 1, { 3 }, more[0].x, NULL };
    f.tensor = more;
    OK(!fd_net_from(&a, &f, NULL) && strstr(explain(&st), "no place for: bn0.weight"), "%s",
       explain(&st));
    st.code = FD_OK;
    more[0] = (fd_tensor){ "myconv0.weights1", 1, { 3 }, more[0].x, NULL };
    f.tensor = more, f.count = 1;
    OK(fd_foreign_kind(&f) == FD_FROM_NONE, "within a word");
    a = all;
    f = load(&a, rows[14].file);
    reshape(&a, tensor(&f, "patch_embed.proj.weight"), 4, (int[]){ 64, 2, 2, 2 });
    OK(!fd_net_from(&a, &f, NULL) && strstr(explain(&st), "patch_embed.proj.bias is 8, not 64"),
       "heads are 64 wide: %s", explain(&st));
    st.code = FD_OK;
    a = all;
    f = load(&a, rows[14].file);
    fd_net *net = fd_net_from(&a, &f, &(fd_foreign){ .heads = 2, .tscale = 2.5 });
    OK(net && net->arch.tscale == 2.5, "%s", explain(&st));
    a = all;
    f = load(&a, rows[1].file);
    OK(!fd_net_from(&a, &f, &(fd_foreign){ .modes = { 2 } })
       && strstr(explain(&st), "axis, modes, those there: 0, 2, 3"), "%s", explain(&st));
}

/* The same network in another form, the same bits of weights: tensors that are not factorised, with
 * or without .tensor at the end of their names; skips by one number a channel, or by a matrix with
 * these on its diagonal; one of the modes, and weights that have no other. */
static void same_network(void)
{
    fd_status st;
    fd_arena all = test_arena(1 << 21, &st);
    for (int k = 0; k < 3; k++) {
        static const int row[3] = { 6, 10, 8 };
        fd_arena a = all;
        fd_tensors f = load(&a, rows[row[k]].file), g = load(&a, rows[row[k]].file);
        fd_foreign how = rows[row[k]].how;
        char name[64];
        if (k == 2) how.modes[0] = 1;
        fd_net *p = fd_net_from(&a, &f, &how), *q;
        for (int l = 0; l < (k < 2 ? 2 : 3); l++) {
            snprintf(name, sizeof name, k == 1 ? "fno_blocks.mlp_skips.%d.weight"
                     : "fno_blocks.convs.%d.weight.tensor", l);
            fd_tensor *t = tensor(&g, name);
            fd_real *x = fd_new(&a, fd_real, 18);
            if (!x) break;
            if (k == 0) t->name = l ? "fno_blocks.convs.1.weight" : "fno_blocks.convs.0.weight";
            for (int i = 0; i < 3 && k == 1; i++) x[i * 4] = t->x[i];
            for (int i = 0; i < 9 && k == 2; i++) memcpy(x + 2 * i, t->x + 6 * i, 2 * sizeof *x);
            if (k == 1) t->n[0] = 3;
            if (k == 2) t->n[2] = 1;
            if (k) t->x = x;
        }
        if (k == 2) how.modes[0] = 0;
        q = fd_net_from(&a, &g, &how);
        OK(p && q, "%d: %s", k, explain(&st));
        if (p && q && k != 1)
            OK(p->count == q->count && !memcmp(p->w, q->w, (size_t)p->count * sizeof *p->w)
               && p->arch.fno.modes[0] == (k ? 1 : 3), "%d: %d modes", k, p->arch.fno.modes[0]);
        if (p && q && k == 1) {
            fd_space s = fd_grid(&a, 1, rows[10].n, NULL, NULL, 2);
            fd_tape t = fd_tape_begin(&a, FD_EVAL);
            fd_var *x = fd_input(&t, 3, (int[]){ 1, 2, 10 }, normals(&a, 5, 20));
            fd_var *y = fd_forward(p, &t, &s, x, NULL), *z = fd_forward(q, &t, &s, x, NULL);
            OK(q->arch.fno.gates && !p->arch.fno.gates, "a number and a matrix");
            NEAR(y && z ? test_rel(10, z->x, y->x) : 1, 0, TOL(1e-13, 1e-6), "%s", explain(&st));
        }
        st.code = FD_OK;
    }
}

/* One of the channels of neuraloperator may be time; it is the number in that channel. */
static void time_channel(void)
{
    enum { P = 63 };
    fd_status st;
    fd_arena a = test_arena(1 << 21, &st);
    fd_tensors f = load(&a, rows[6].file);
    const double time = .7;
    fd_net *p = fd_net_from(&a, &f, NULL);
    fd_net *q = fd_net_from(&a, &f, &(fd_foreign){ .time = FD_TIME_CHANNEL, .tscale = 1 });
    fd_space s = fd_grid(&a, 2, rows[6].n, NULL, NULL, 1);
    fd_real *x = normals(&a, 3, 2 * P);
    OK(p && q && q->arch.in == 1 && s.points == P, "%s", explain(&st));
    if (st.code || !x) return;
    for (int i = 0; i < P; i++) x[P + i] = (fd_real)time;
    fd_tape t = fd_tape_begin(&a, FD_EVAL);
    fd_var *y = fd_forward(p, &t, &s, fd_input(&t, 3, (int[]){ 1, 2, P }, x), NULL);
    fd_var *z = fd_forward(q, &t, &s, fd_input(&t, 3, (int[]){ 1, 1, P }, x), &time);
    NEAR(y && z ? test_rel(fd_count(y), z->x, y->x) : 1, 0, TOL(1e-13, 3e-6), "%s", explain(&st));
}

/* memory of every size: out of it, or the right network */
static void starved(void)
{
    static char mem[1 << 18];
    fd_status st, own;
    fd_arena a = test_arena(1 << 20, &st);
    fd_tensors f = load(&a, rows[0].file);
    fd_net *net = fd_net_from(&a, &f, &rows[0].how), *small = NULL;
    OK(net != NULL, "whole");
    for (size_t size = 0; size < sizeof mem && !small; size += 96) {
        fd_arena b = fd_arena_over(mem, size, &own);
        small = fd_net_from(&b, &f, &rows[0].how);
        OK(small ? !own.code && !memcmp(small->w, net->w, (size_t)net->count * sizeof *net->w)
                 : own.code == FD_ENOMEM, "%d bytes: %d", (int)size, own.code);
    }
    OK(small != NULL, "never enough");
}

/* --- every loader on files that are damaged at random --- */

static uint32_t dice(uint32_t below)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % below;
}

/* a few of: a byte, a number at an end of its range, a piece moved, the end cut off */
static size_t damage(unsigned char *p, size_t n)
{
    static const unsigned char ends[] = { 0, 1, 0x7f, 0x80, 0xff };
    for (uint32_t k = 1 + dice(4); k && n; k--) {
        size_t at = dice((uint32_t)n), len = 1 + dice(n - at < 16 ? (uint32_t)(n - at) : 16);
        size_t from = dice((uint32_t)(n - len + 1));
        switch (dice(8)) {
        case 0: case 1: p[at] = (unsigned char)dice(256); break;
        case 2: p[at] ^= (unsigned char)(1 << dice(8)); break;
        case 3: memset(p + at, ends[dice(5)], len); break;
        case 4: memmove(p + at, p + from, len); break;
        case 5: if (dice(4) == 0) n = at; break;
        default:
            p[at] = (unsigned char)(p[at] >= '0' && p[at] <= '9' ? '0' + (int)dice(10) : p[at] + 1);
        }
    }
    return n;
}

static void fuzz(void)
{
    enum { ROUNDS = 150, ROOM = 1 << 15 };
    static unsigned char whole[ROOM], hurt[ROOM], mem[1 << 20];
    const char *seed[ROWS + 4], *path = test_path("hurt");
    char name[ROWS][100];
    fd_status st;
    fd_arena a = test_arena(1 << 20, &st);
    int n[2] = { 3, 5 }, seeds = 0, good = 0;
    fd_real x[15] = { 0 };
    const fd_arch arch = { .kind = FD_FNO_BLOCK, .nd = 1, .in = 1, .out = 1, .width = 2,
                           .layers = 1, .fno = { .modes = { 2 }, .lift = 2, .proj = 2 } };
    fd_net *net = fd_net_new(&a, &arch, fd_seed(1));
    fd_tensor t = { "x", 2, { 3, 5 }, x, NULL };
    fd_tensors f = { 1, 0, &t, NULL, 0, NULL };
    for (; seeds < ROWS; seeds++) {
        snprintf(name[seeds], sizeof name[0], DATA "%s", rows[seeds].file);
        seed[seeds] = name[seeds];
    }
    fd_npy_save(&st, seed[seeds++] = test_path("seed.npy"), 2, n, x);
    fd_npz_save(&st, seed[seeds++] = test_path("seed.npz"), &f);
    fd_net_save(&st, seed[seeds++] = test_path("seed.safetensors"), net, fd_opt_new(&a, net, NULL),
                &f, a);
    FILE *file = fopen(seed[seeds++] = test_path("seed.idx"), "wb");
    OK(!st.code && file
       && fwrite("\0\0\x0b\2\0\0\0\2\0\0\0\3\0\1\0\2\0\3\xff\xff\x7f\xff\x80\0", 1, 24, file)
              == 24, "seeds");
    if (file) fclose(file);
    for (int i = 0; i < seeds; i++) {
        file = fopen(seed[i], "rb");
        size_t len = file ? fread(whole, 1, ROOM, file) : 0;
        if (file) fclose(file);
        OK(len > 0 && len < ROOM, "%s", seed[i]);
        for (int k = 0; k < ROUNDS; k++) {
            memcpy(hurt, whole, len);
            size_t m = damage(hurt, len);
            remove(path);
            file = fopen(path, "wb");
            if (!file || fwrite(hurt, 1, m, file) != m || fclose(file)) {
                OK(0, "cannot write");
                return;
            }
            fd_net *got = NULL;
            fd_opt *opt = NULL;
            a = fd_arena_over(mem, sizeof mem, &st);
            const char *beg = a.beg;
            f = fd_tensors_load(&a, path);
            int bad = st.code ? f.count || f.tensor || a.beg != beg : 0;
            if (!st.code && i < ROWS) {
                got = fd_net_from(&a, &f, &rows[i].how);
                bad |= !got != !!st.code;
            }
            good += got != NULL;
            a = fd_arena_over(mem, sizeof mem, &st);
            bad |= !fd_load(&a, path).x != !!st.code;
            a = fd_arena_over(mem, sizeof mem, &st);
            fd_net_load(&a, path, &got, &opt);
            bad |= !got != !!st.code;
            if (bad) OK(0, "%s, round %d", seed[i], k);
        }
    }
    OK(good > ROUNDS, "only %d of the damaged files can still be read", good);
}

/* without the files there is nothing to test */
static int files_there(void)
{
    int there = 1;
    for (int i = 0; i <= ROWS; i++) {
        const char *name = i < ROWS ? rows[i].file : "io.npz";
        fd_status st;
        fd_arena a = test_arena(1 << 22, &st);
        const fd_tensors f = load(&a, name);
        OK(f.count, "%s", explain(&st));
        there &= !st.code;
        test_free();
    }
    return there;
}

void test_foreign(void)
{
    if (!files_there()) return;
    outputs();
    wrong();
    told();
    wrong_made();
    wrong_many();
    same_network();
    time_channel();
    starved();
    fuzz();
}
