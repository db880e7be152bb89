/* board.h -- what mcu.c wants of a machine: board.c is for a Cortex-M, host.c for a desktop. */
void board_put(const char *s);
/* a number that is this machine's: its name and value, on a channel of its own */
void board_note(const char *name, unsigned long value);
/* of a clock; 0 where there is none */
unsigned long board_ticks(void);
