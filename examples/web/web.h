/* web.h -- questions in one line of text and their answers, which are named arrays of numbers:
 * page.html asks them in a browser, host.c on a desktop. See web.c. */
#include "fd.h"

/* web_line -- WEB_LINE bytes. The question is written here before web_ask; afterwards it is what
 * was wrong with it, or "". */
enum { WEB_LINE = 640 };
char          *web_line(void);
/* web_ask -- answer the question: returns how many arrays there are, 0 where it was wrong.
 * web_more -- one more step of an answer that takes several (clothes); 1 while there is more. */
int            web_ask(void);
int            web_more(void);
const char    *web_name(int i);
int            web_size(int i);
const fd_real *web_data(int i);
/* web_hash -- of all arrays of the answer, one after the other: FNV-1a over the bits of each
 * number, the low byte first, as 16 digits. */
const char    *web_hash(void);
/* web_key -- key i of the questions as "name=default from to" or "name=first|second|..", the first
 * one being the default; NULL past the last. The page makes its controls from these. */
const char    *web_key(int i);

/* The bytes of clothes.w8; the Makefile writes the file that has them. */
extern const unsigned char web_weights[];
extern const int web_weights_size;

/* The network of clothes.w8: see pack.c for how it was trained. */
enum { WEB_SIDE = 28, WEB_BLOCK = 64 };
static const fd_arch web_arch = { .kind = FD_FNO_BLOCK, .nd = 2, .in = 1, .out = 1, .width = 16,
    .layers = 4, .time = FD_TIME_FILM, .coords = FD_COORD_OPEN, .grid = { WEB_SIDE, WEB_SIDE },
    .embed = 16,
    .fno = { .modes = { 6, 6 }, .lift = -1, .proj = 32, .residual = 1, .stencil = 3 } };
