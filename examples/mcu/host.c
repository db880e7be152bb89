/* host.c -- the same on a desktop. */
#include "board.h"
#include <stdio.h>

void board_put(const char *s) { fputs(s, stdout); }
void board_note(const char *name, unsigned long value) { printf("# %s: %lu\n", name, value); }
unsigned long board_ticks(void) { return 0; }
