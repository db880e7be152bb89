/* plot.h -- pictures of the examples: line plots, and canvases with images and text.
 *
 *     plot p;
 *     plot_begin(&p, 900, 600, "loss", "step", "mean loss", 0, 1);       logarithmic y
 *     plot_line(&p, n, step, train, "training", PLOT_SOLID);
 *     plot_line(&p, n, step, test, "test", PLOT_DASHED);
 *     plot_save(&st, &p, "loss.png", a);
 *
 *     plot_canvas c = plot_new(&a, h, w);                                white
 *     plot_sheet(&c, y, x, 4, 8, 28, 28, images, -1, 1, FD_GRAY, 2);
 *     plot_text(&c, y - 24, x, 2, "samples");
 *     fd_png_save(&st, "samples.png", c.h, c.w, c.rgb);
 *
 * Places are (y, x) in pixels from the top left corner; what lies outside is not drawn. A canvas
 * that could not be made draws nothing. Text is ASCII. */
#ifndef PLOT_H
#define PLOT_H
#include "fd.h"
#include <math.h>
#include <stdio.h>
#include <stb/stb_easy_font.h>

/* ---- Canvas ---------------------------------------------------------------------------------- */

typedef struct { int h, w; unsigned char *rgb; } plot_canvas;

static const unsigned char plot_ink[3] = { 45, 45, 45 };

static inline plot_canvas plot_new(fd_arena *a, int h, int w)
{
    plot_canvas c = { h, w, fd_raw(a, unsigned char, (ptrdiff_t)3 * h * w) };
    if (c.rgb) memset(c.rgb, 255, (size_t)3 * (size_t)h * (size_t)w);
    return c;
}

/* plot_blend -- one pixel becomes (1 - u) old + u rgb. */
static inline void plot_blend(const plot_canvas *c, int y, int x, const unsigned char rgb[3],
                              double u)
{
    if (!c->rgb || x < 0 || y < 0 || x >= c->w || y >= c->h) return;
    unsigned char *p = c->rgb + 3 * ((ptrdiff_t)y * c->w + x);
    for (int i = 0; i < 3; i++) p[i] = (unsigned char)(p[i] + u * (rgb[i] - p[i]) + 0.5);
}

static inline void plot_dot(const plot_canvas *c, int y, int x, const unsigned char rgb[3])
{
    plot_blend(c, y, x, rgb, 1);
}

static inline void plot_box(const plot_canvas *c, int y, int x, int h, int w,
                            const unsigned char rgb[3], double u)
{
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) plot_blend(c, y + i, x + j, rgb, u);
}

/* --- Text --- */

/* the letters that the font has; it reads past its table for others */
static inline char *plot_ascii(char buf[128], const char *text)
{
    int n = 0;
    for (; text[n] && n < 127; n++) buf[n] = text[n] < 32 || text[n] > 126 ? '?' : text[n];
    buf[n] = 0;
    return buf;
}

/* plot_width -- pixels of a line of text; letters are 7 * size high, 2 * size below the line. */
static inline int plot_width(int size, const char *text)
{
    char buf[128];
    return size * stb_easy_font_width(plot_ascii(buf, text));
}

/* plot_write -- text with its top left corner at (y, x); up = 1: running upwards, with its bottom
 * left corner there. */
static inline void plot_write(const plot_canvas *c, int y, int x, int size, int up,
                              const char *text, const unsigned char rgb[3])
{
    struct { float x, y, z; unsigned char c[4]; } v[4 * 127 * 12];
    char buf[128];
    int n = stb_easy_font_print(0, 0, plot_ascii(buf, text), NULL, v, (int)sizeof v);
    for (int q = 0; q < n; q++) {
        int x0 = size * (int)v[4 * q].x, x1 = size * (int)v[4 * q + 2].x;
        int y0 = size * (int)v[4 * q].y, y1 = size * (int)v[4 * q + 2].y;
        if (up) plot_box(c, y - x1, x + y0, x1 - x0, y1 - y0, rgb, 1);
        else plot_box(c, y + y0, x + x0, y1 - y0, x1 - x0, rgb, 1);
    }
}

static inline void plot_text(const plot_canvas *c, int y, int x, int size, const char *text)
{
    plot_write(c, y, x, size, 0, text, plot_ink);
}

/* plot_caption -- the same, centred over w pixels from x on. */
static inline void plot_caption(const plot_canvas *c, int y, int x, int w, int size,
                                const char *text)
{
    plot_text(c, y, x + (w - plot_width(size, text)) / 2, size, text);
}

/* --- Images --- */

/* plot_image -- h x w numbers, lo..hi through a colour map, each zoom x zoom pixels. */
static inline void plot_image(const plot_canvas *c, int y, int x, int h, int w, const fd_real *v,
                              double lo, double hi, int map, int zoom)
{
    for (int i = 0; i < h * zoom; i++)
        for (int j = 0; j < w * zoom; j++) {
            unsigned char rgb[3];
            fd_colour(map, ((double)v[i / zoom * w + j / zoom] - lo) / (hi - lo), rgb);
            plot_dot(c, y + i, x + j, rgb);
        }
}

enum { PLOT_GAP = 4 };                 /* between the images of a sheet */

/* plot_sheet -- rows x cols images v [rows*cols][h][w], row by row; plot_across -- the pixels that
 * n images of a side take. */
static inline int plot_across(int n, int side, int zoom)
{
    return n * (side * zoom + PLOT_GAP) - PLOT_GAP;
}

static inline void plot_sheet(const plot_canvas *c, int y, int x, int rows, int cols, int h, int w,
                              const fd_real *v, double lo, double hi, int map, int zoom)
{
    for (int i = 0; v && i < rows * cols; i++)
        plot_image(c, y + i / cols * (h * zoom + PLOT_GAP), x + i % cols * (w * zoom + PLOT_GAP),
                   h, w, v + (ptrdiff_t)i * h * w, lo, hi, map, zoom);
}

/* plot_bar -- a colour bar with its ends written beside it. */
static inline void plot_bar(const plot_canvas *c, int y, int x, int h, int w, double lo, double hi,
                            int map)
{
    char text[32];
    for (int i = 0; i < h; i++) {
        unsigned char rgb[3];
        fd_colour(map, 1 - (i + 0.5) / h, rgb);
        plot_box(c, y + i, x, 1, w, rgb, 1);
    }
    sprintf(text, "%.3g", hi);
    plot_text(c, y, x + w + 6, 2, text);
    sprintf(text, "%.3g", lo);
    plot_text(c, y + h - 16, x + w + 6, 2, text);
}

/* ---- Line plots ------------------------------------------------------------------------------ */

enum { PLOT_SOLID, PLOT_DASHED, PLOT_DOTTED, PLOT_POINTS, PLOT_MARKED }; /* last: line and points */
enum { PLOT_MAX = 12 };

typedef struct { int n, style; const double *x, *y; const char *name; } plot_series;
typedef struct {
    int w, h, log[2];                  /* log, lo, hi: of x and y */
    double lo[2], hi[2];               /* set these to fix an end; NaN: as the data are */
    const char *title, *label[2];
    int count, beside;                 /* beside: 1: the legend stands to the right of the axes */
    plot_series line[PLOT_MAX];
} plot;

/* plot_begin -- texts may be NULL. plot_line -- x and y are kept by pointer; a series beyond
 * PLOT_MAX is dropped; values that are not finite, or not positive on a logarithmic axis, are
 * skipped. A series without a name has the colour of the one before it; one named "" its own, and
 * no legend. */
static inline void plot_begin(plot *p, int w, int h, const char *title, const char *xlabel,
                              const char *ylabel, int logx, int logy)
{
    memset(p, 0, sizeof *p);
    p->w = w; p->h = h;
    p->log[0] = logx; p->log[1] = logy;
    p->title = title; p->label[0] = xlabel; p->label[1] = ylabel;
    for (int d = 0; d < 2; d++) p->lo[d] = p->hi[d] = NAN;
}

static inline void plot_line(plot *p, int n, const double *x, const double *y, const char *name,
                             int style)
{
    if (!x || !y || p->count == PLOT_MAX) return;
    p->line[p->count++] = (plot_series){ n, style, x, y, name };
}

/* --- Axes: u is the value, or its log10 --- */

typedef struct {
    int log, kstep;
    double k, lo, hi, step;            /* ticks at k * step, from the first k on; ends in u */
    int from, to;                      /* pixels of lo and hi */
} plot_axis;

static inline double plot_u(int log, double v) { return log ? v > 0 ? log10(v) : NAN : v; }

static inline double plot_px(const plot_axis *a, double u)
{
    return a->from + (a->to - a->from) * (u - a->lo) / (a->hi - a->lo);
}

static inline plot_axis plot_range(const plot *p, int d, int want)
{
    plot_axis a = { p->log[d], 1, 0, INFINITY, -INFINITY, 1, 0, 0 };
    for (int s = 0; s < p->count; s++)
        for (int i = 0; i < p->line[s].n; i++) {
            double u[2] = { plot_u(p->log[0], p->line[s].x[i]),
                            plot_u(p->log[1], p->line[s].y[i]) };
            if (!(fabs(u[0]) < 1e300 && fabs(u[1]) < 1e300)) continue;
            if (u[d] < a.lo) a.lo = u[d];
            if (u[d] > a.hi) a.hi = u[d];
        }
    if (a.lo > a.hi) { a.lo = 0; a.hi = 1; }
    double pad = a.hi > a.lo ? (d ? 0.05 : 0.02) * (a.hi - a.lo)
               : a.log || a.lo == 0 ? 0.5 : 0.1 * fabs(a.lo);
    double lo = plot_u(a.log, p->lo[d]), hi = plot_u(a.log, p->hi[d]);
    a.lo = lo == lo ? lo : a.lo - pad;
    a.hi = hi == hi ? hi : a.hi + pad;
    double least = 1e-9 * fmax(fabs(a.lo), fabs(a.hi));    /* ticks that differ in their digits */
    if (!(a.hi - a.lo > least)) a.hi = a.lo + (least > 0 ? least : 1);
    double rough = (a.hi - a.lo) / want, ten = pow(10, floor(log10(rough))), f = rough / ten;
    if (a.log) a.kstep = rough > 1 ? (int)ceil(rough) : 1;
    else a.step = ten * (f <= 1.0001 ? 1 : f <= 2.0001 ? 2 : f <= 5.0001 ? 5 : 10);
    a.k = ceil(a.lo / a.step - 1e-9);
    while (a.log && (int)a.k % a.kstep) a.k++;
    return a;
}

/* "0.25", or on a logarithmic axis "10" with the exponent in *power */
static inline void plot_label(const plot_axis *a, double v, char text[32], char power[16])
{
    *power = 0;
    if (a->log) {
        double k = floor(log10(v) + 0.5);                  /* powers on all ticks or on none */
        int plain = fabs(v / pow(10, k) - 1) > 1e-9 || (a->lo > -2.5 && a->hi < 3.5);
        if (plain) sprintf(text, "%g", v);
        else { sprintf(text, "10"); sprintf(power, "%d", (int)k); }
        return;
    }
    int digits = (int)ceil(-log10(a->step) - 1e-9);
    double most = fmax(fabs(a->lo), fabs(a->hi));
    if (fabs(v) < a->step * 1e-6) v = 0;
    if (most >= 1e6 || (most < 1e-3 && most > 0)) sprintf(text, v == 0 ? "0" : "%.3g", v);
    else sprintf(text, "%.*f", digits > 0 ? digits : 0, v);
}

/* Ticks in order: returns 0 at the end; *major: with a label. */
static inline int plot_tick(const plot_axis *a, int i, double *u, int *major)
{
    if (!a->log) {
        *u = (a->k + i) * a->step;
        *major = 1;
        return *u <= a->hi + 1e-9 * a->step;
    }
    int per = a->kstep > 1 ? 1 : 9, k = (int)floor(a->lo) + i / per, m = i % per + 1;
    int narrow = a->hi - a->lo < 1.6;                  /* too few decades for labels of their own */
    int all = a->hi - a->lo < 0.4;
    *u = k + log10(m);
    *major = m == 1 ? (k - (int)a->k) % a->kstep == 0 : narrow && (all || m == 2 || m == 5);
    return *u <= a->hi + 1e-9;
}

/* the label of a tick, right-aligned at x (d = 1) or centred on it (d = 0); returns its width */
static inline int plot_tick_text(const plot_canvas *c, const plot_axis *a, double u, int d, int y,
                                 int x)
{
    char text[32], power[16];
    plot_label(a, a->log ? pow(10, u) : u, text, power);
    int w = plot_width(2, text), all = w + plot_width(1, power);
    int left = d ? x - all : x - all / 2;
    plot_text(c, y, left, 2, text);
    plot_write(c, y - 4, left + w, 1, 0, power, plot_ink);
    return all;
}

/* --- Strokes: the largest coverage of a pixel by any part of a curve, so that parts join --- */

typedef struct { unsigned char *mask; int h, w, y0, x0, y1, x1; } plot_stroke;

static inline int plot_clamp(double v, int lo, int hi) { return (int)fmin(fmax(floor(v), lo), hi); }

static inline void plot_segment(const plot_stroke *s, double ay, double ax, double by, double bx,
                                double r)
{
    double dy = by - ay, dx = bx - ax, d2 = dy * dy + dx * dx;
    int top = plot_clamp(fmin(ay, by) - r - 1, s->y0, s->y1);
    int end = plot_clamp(fmax(ay, by) + r + 2, s->y0, s->y1);
    int lo = plot_clamp(fmin(ax, bx) - r - 1, s->x0, s->x1);
    int hi = plot_clamp(fmax(ax, bx) + r + 2, s->x0, s->x1);
    for (int y = top; y < end; y++)
        for (int x = lo; x < hi; x++) {
            double t = d2 > 0 ? ((y - ay) * dy + (x - ax) * dx) / d2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            double d = hypot(y - ay - t * dy, x - ax - t * dx), u = r + 0.5 - d;
            unsigned char *m = s->mask + (ptrdiff_t)y * s->w + x;
            int v = u <= 0 ? 0 : u >= 1 ? 255 : (int)(255 * u);
            if (v > *m) *m = (unsigned char)v;
        }
}

/* a segment in dashes; *at: length of the curve so far */
static inline void plot_dashes(const plot_stroke *s, int style, double ay, double ax, double by,
                               double bx, double r, double *at)
{
    static const double on[] = { 0, 11, 0.1 }, off[] = { 0, 8, 6 };
    double len = hypot(by - ay, bx - ax), done = 0;
    int k = style == PLOT_DASHED || style == PLOT_DOTTED ? style : 0;
    if (!k || len > 1e5) { plot_segment(s, ay, ax, by, bx, r); return; }
    while (done < len) {
        double phase = fmod(*at, on[k] + off[k]), stop = phase < on[k] ? on[k] : on[k] + off[k];
        double step = fmin(stop - phase + 1e-9, len - done);
        if (phase < on[k]) {
            double t0 = done / len, t1 = (done + step) / len, dy = by - ay, dx = bx - ax;
            plot_segment(s, ay + t0 * dy, ax + t0 * dx, ay + t1 * dy, ax + t1 * dx, r);
        }
        done += step;
        *at += step;
    }
}

static inline void plot_ink_stroke(const plot_canvas *c, plot_stroke *s, const unsigned char rgb[3])
{
    for (int y = s->y0; y < s->y1; y++)
        for (int x = s->x0; x < s->x1; x++) {
            unsigned char *m = s->mask + (ptrdiff_t)y * s->w + x;
            if (*m) plot_blend(c, y, x, rgb, *m / 255.);
            *m = 0;
        }
}

static inline const unsigned char *plot_hue(int k)
{
    static const unsigned char hue[][3] = {                /* told apart by the colour-blind too */
        { 0, 100, 175 }, { 214, 84, 0 }, { 0, 145, 105 }, { 190, 90, 150 }, { 225, 160, 0 },
        { 80, 170, 225 }, { 50, 50, 50 }, { 150, 110, 60 } };
    return hue[k % (int)(sizeof hue / sizeof hue[0])];
}

static inline int plot_is_line(int style) { return style != PLOT_POINTS; }
static inline int plot_is_marked(int style) { return style == PLOT_POINTS || style == PLOT_MARKED; }

static inline void plot_curve_on(const plot_canvas *c, plot_stroke *s, const plot_axis ax[2],
                                 const plot_series *q, const unsigned char rgb[3])
{
    double py = 0, px = 0, at = 0;
    int pen = 0;
    for (int i = 0; i < q->n; i++) {
        double u[2] = { plot_u(ax[0].log, q->x[i]), plot_u(ax[1].log, q->y[i]) };
        if (!(fabs(u[0]) < 1e300 && fabs(u[1]) < 1e300)) { pen = 0; continue; }
        double x = plot_px(&ax[0], u[0]), y = plot_px(&ax[1], u[1]);
        if (plot_is_marked(q->style)) plot_segment(s, y, x, y, x, 3.6);
        if (pen && plot_is_line(q->style)) plot_dashes(s, q->style, py, px, y, x, 1.15, &at);
        py = y; px = x; pen = 1;
    }
    plot_ink_stroke(c, s, rgb);
}

static inline int plot_named(const plot_series *q) { return q->name && *q->name; }

static inline int plot_family(const plot *p, int k)
{
    int f = 0;
    for (int i = 1; i <= k; i++) f += p->line[i].name != NULL;
    return f;
}

enum { PLOT_ROW = 24, PLOT_KEY = 38, PLOT_IN = 10 };       /* of a legend, in pixels */
static inline int plot_legend_width(const plot *p, int *rows)
{
    int w = 0;
    *rows = 0;
    for (int k = 0; k < p->count; k++)
        if (plot_named(&p->line[k])) {
            int n = plot_width(2, p->line[k].name);
            if (n > w) w = n;
            ++*rows;
        }
    return w + PLOT_KEY + 3 * PLOT_IN;
}

/* The legend goes to the corner where it hides the least: corners in the order of `at`. */
static inline void plot_legend(const plot_canvas *c, plot_stroke *s, const plot *p,
                               const plot_axis ax[2])
{
    enum { ROW = PLOT_ROW, KEY = PLOT_KEY, IN = PLOT_IN };
    int rows, best = 0, least = 1 << 30, at[4][2] = { { s->y0, s->x1 + IN } };
    int w = plot_legend_width(p, &rows), h = rows * ROW + IN;
    if (!rows) return;
    for (int k = 0; k < 4 && !p->beside; k++) {
        at[k][0] = k / 2 ? s->y1 - h - 10 : s->y0 + 10;
        at[k][1] = k % 2 ? s->x0 + 10 : s->x1 - w - 10;
        int hidden = 0;
        for (int q = 0; q < p->count; q++)
            for (int i = 0; i < p->line[q].n; i++) {
                double x1 = plot_px(&ax[0], plot_u(ax[0].log, p->line[q].x[i])), x0 = x1;
                double y1 = plot_px(&ax[1], plot_u(ax[1].log, p->line[q].y[i])), y0 = y1;
                if (i && plot_is_line(p->line[q].style)) {
                    x0 = plot_px(&ax[0], plot_u(ax[0].log, p->line[q].x[i - 1]));
                    y0 = plot_px(&ax[1], plot_u(ax[1].log, p->line[q].y[i - 1]));
                }
                for (int t = 0; t <= 8; t++) {        /* long segments cross a box between points */
                    double x = x0 + (x1 - x0) * t / 8, y = y0 + (y1 - y0) * t / 8;
                    hidden += x > at[k][1] - 8 && x < at[k][1] + w + 8 && y > at[k][0] - 8
                           && y < at[k][0] + h + 8;
                }
            }
        if (hidden < least) { least = hidden; best = k; }
    }
    static const unsigned char white[3] = { 255, 255, 255 }, edge[3] = { 200, 200, 200 };
    int y = at[best][0], x = at[best][1];
    plot_stroke all = *s;
    all.x1 = p->w;
    s = &all;
    plot_box(c, y, x, h, w, edge, 1);
    plot_box(c, y + 1, x + 1, h - 2, w - 2, white, 1);
    for (int k = 0, r = 0; k < p->count; k++) {
        const plot_series *q = p->line + k;
        double mid = y + IN / 2 + r * ROW + ROW / 2, len = 0;
        if (!plot_named(q)) continue;
        double from = x + IN, to = from + KEY, centre = from + KEY / 2;
        if (plot_is_line(q->style)) plot_dashes(s, q->style, mid, from, mid, to, 1.15, &len);
        if (plot_is_marked(q->style)) plot_segment(s, mid, centre, mid, centre, 3.6);
        plot_ink_stroke(c, s, plot_hue(plot_family(p, k)));
        plot_text(c, (int)mid - 8, x + IN + KEY + IN, 2, q->name);
        r++;
    }
}

/* plot_draw -- a plot as a canvas. */
static inline plot_canvas plot_draw(fd_arena *mem, const plot *p)
{
    static const unsigned char grid[3] = { 228, 228, 228 }, faint[3] = { 243, 243, 243 };
    static const unsigned char axis[3] = { 110, 110, 110 };
    plot_canvas c = plot_new(mem, p->h, p->w), none = { 0, 0, NULL };
    fd_arena scratch = *mem;
    unsigned char *mask = fd_new(&scratch, unsigned char, (ptrdiff_t)p->h * p->w);
    plot_stroke s = { mask, p->h, p->w, 0, 0, 0, 0 };
    plot_axis ax[2] = { plot_range(p, 0, p->w / 130), plot_range(p, 1, p->h / 80) };
    int major, wide = 0;
    double u;
    if (!s.mask) return none;
    for (int i = 0; plot_tick(&ax[1], i, &u, &major); i++) {
        int n = major && u >= ax[1].lo ? plot_tick_text(&none, &ax[1], u, 1, 0, 0) : 0;
        if (n > wide) wide = n;
    }
    s.x0 = wide + 24 + (p->label[1] ? 28 : 0);
    s.x1 = p->w - 28 - (p->beside ? plot_legend_width(p, &major) : 0);
    s.y0 = p->title ? 56 : 24;
    s.y1 = p->h - 38 - (p->label[0] ? 28 : 0);
    ax[0].from = s.x0; ax[0].to = s.x1;
    ax[1].from = s.y1; ax[1].to = s.y0;

    for (int d = 0; d < 2; d++)
        for (int i = 0; plot_tick(&ax[d], i, &u, &major); i++) {
            int at = (int)floor(plot_px(&ax[d], u) + 0.5);
            if (u < ax[d].lo - 1e-9 * (ax[d].hi - ax[d].lo)) continue;
            const unsigned char *rgb = major ? grid : faint;
            if (d) plot_box(&c, at, s.x0, 1, s.x1 - s.x0, rgb, 1);
            else plot_box(&c, s.y0, at, s.y1 - s.y0, 1, rgb, 1);
            if (major && d) plot_tick_text(&c, &ax[d], u, 1, at - 8, s.x0 - 10);
            else if (major) plot_tick_text(&c, &ax[d], u, 0, s.y1 + 12, at);
        }
    plot_box(&c, s.y0, s.x0, s.y1 - s.y0, 1, axis, 1);
    plot_box(&c, s.y1, s.x0, 1, s.x1 - s.x0, axis, 1);
    for (int d = 0; d < 2; d++)
        for (int i = 0; plot_tick(&ax[d], i, &u, &major); i++) {
            int at = (int)floor(plot_px(&ax[d], u) + 0.5), len = major ? 6 : 3;
            if (u < ax[d].lo - 1e-9 * (ax[d].hi - ax[d].lo)) continue;
            if (d) plot_box(&c, at, s.x0 - len, 1, len, axis, 1);
            else plot_box(&c, s.y1, at, len, 1, axis, 1);
        }
    for (int k = 0; k < p->count; k++)
        plot_curve_on(&c, &s, ax, p->line + k, plot_hue(plot_family(p, k)));
    plot_legend(&c, &s, p, ax);
    if (p->title) {
        int w = plot_width(2, p->title), x = s.x0 + (s.x1 - s.x0 - w) / 2;
        plot_text(&c, 22, x, 2, p->title);
        plot_text(&c, 22, x + 1, 2, p->title);             /* bold */
    }
    if (p->label[0]) plot_caption(&c, p->h - 28, s.x0, s.x1 - s.x0, 2, p->label[0]);
    if (p->label[1])
        plot_write(&c, (s.y0 + s.y1 + plot_width(2, p->label[1])) / 2, 14, 2, 1, p->label[1],
                   plot_ink);
    return c;
}

/* plot_grid -- rows x cols plots of one size, row by row; plot_row -- beside each other; plot_save
 * -- one. */
static inline int plot_grid(fd_status *st, int rows, int cols, const plot *p, const char *path,
                            fd_arena scratch)
{
    plot_canvas all = plot_new(&scratch, rows * p[0].h, cols * p[0].w);
    for (int i = 0; i < rows * cols; i++) {
        fd_arena a = scratch;
        plot_canvas c = plot_draw(&a, &p[i]);
        ptrdiff_t at = (ptrdiff_t)(i / cols) * c.h * all.w + (ptrdiff_t)(i % cols) * c.w;
        for (int y = 0; c.rgb && y < c.h; y++)
            memcpy(all.rgb + 3 * (at + (ptrdiff_t)y * all.w), c.rgb + 3 * (ptrdiff_t)y * c.w,
                   3 * (size_t)c.w);
    }
    return all.rgb ? fd_png_save(st, path, all.h, all.w, all.rgb) : st->code;
}

static inline int plot_row(fd_status *st, int count, const plot *p, const char *path,
                           fd_arena scratch)
{
    return plot_grid(st, 1, count, p, path, scratch);
}

static inline int plot_save(fd_status *st, const plot *p, const char *path, fd_arena scratch)
{
    return plot_grid(st, 1, 1, p, path, scratch);
}

typedef struct { const char *name; int n; const double *x, *y; } plot_curve;

static inline void plot_curves(fd_status *st, const char *path, const char *title, int logx,
                               int logy, int count, const plot_curve *q, fd_arena scratch)
{
    plot p;
    plot_begin(&p, 900, 600, title, NULL, NULL, logx, logy);
    for (int k = 0; k < count; k++) plot_line(&p, q[k].n, q[k].x, q[k].y, q[k].name, PLOT_SOLID);
    plot_save(st, &p, path, scratch);
}
#endif
