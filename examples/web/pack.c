/* pack.c -- the weights of a trained model for the page: pack MODEL.safetensors OUT. As committed,
 * clothes.w8 is of
 *
 *     build/fd train --data build/data/fashion-mnist --boundary neumann --batch 16 --lr 6e-3 \
 *         --lr-end 0 --net fno:width=16,modes=6,stencil=3,proj=32,embed=16 --steps 24000 \
 *         --threads 1 --seed 1 -o out/clothes.safetensors
 *     build/web-pack out/clothes.safetensors examples/web/clothes.w8
 *
 * which took 314 s of one core with AVX-512. Images with these weights differ from those with the
 * weights as trained by .04, and on 42 to 112 points a side from those on 28 by .11 (relative, L2).
 *
 * Blocks of WEB_BLOCK averaged weights: a scale, and for each a whole number from 1 to 255, which
 * less 128 times the scale is the weight; then mean and spectrum of the data. Scales, mean and
 * spectrum are the upper halves of floats, the low byte first. web.c reads it. */
#include "web.h"
#include <math.h>
#include <stdio.h>

static char mem[32 << 20];

/* half_put -- the upper half of x, rounded; returns the number that it is. */
static float half_put(FILE *f, float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    u = (u + 0x8000) & 0xffff0000;
    memcpy(&x, &u, 4);
    fputc((int)(u >> 16 & 255), f);
    fputc((int)(u >> 24), f);
    return x;
}

static void block_put(FILE *f, ptrdiff_t n, const fd_real *w)
{
    float most = 0;
    for (ptrdiff_t i = 0; i < n; i++) most = fmaxf(most, fabsf((float)w[i]));
    const float scale = half_put(f, most / 126.5f);     /* not 127: it may be rounded down */
    for (ptrdiff_t i = 0; i < n; i++)
        fputc(128 + (scale > 0 ? (int)lrintf((float)w[i] / scale) : 0), f);
}

int main(int argc, char **argv)
{
    fd_status st;
    fd_arena a = fd_arena_over(mem, sizeof mem, &st);
    fd_net *net = NULL;
    fd_opt *opt = NULL;
    char why[256];
    if (argc != 3) return fprintf(stderr, "usage: web-pack MODEL.safetensors OUT\n"), 2;
    const fd_tensors more = fd_net_load(&a, argv[1], &net, &opt);
    const fd_tensor *mean = fd_tensor_need(&st, "web-pack", &more, "data.mean");
    const fd_tensor *spectrum = fd_tensor_need(&st, "web-pack", &more, "data.spectrum");
    const ptrdiff_t count = st.code ? 0 : fd_net_count(&web_arch, a);
    if (!st.code && (net->count != count || mean->n[0] != WEB_SIDE * WEB_SIDE))
        FD_FAIL(&st, FD_ESHAPE, "web-pack", "another network than web.h's: weights", net->count,
                count);
    if (fd_explain(&st, why, sizeof why)) return fprintf(stderr, "%s\n", why), 1;
    FILE *f = fopen(argv[2], "wb");
    if (!f) return perror(argv[2]), 1;
    const fd_real *w = opt ? opt->avg : net->w;
    for (ptrdiff_t i = 0; i < count; i += WEB_BLOCK)
        block_put(f, count - i < WEB_BLOCK ? count - i : WEB_BLOCK, w + i);
    for (int i = 0; i < mean->n[0]; i++) half_put(f, (float)mean->x[i]);
    for (int i = 0; i < mean->n[0]; i++) half_put(f, (float)spectrum->x[i]);
    if (ferror(f) | fclose(f)) return perror(argv[2]), 1;
    return 0;
}
