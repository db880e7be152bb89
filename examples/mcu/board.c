/* board.c -- a Cortex-M with a floating-point unit: what happens before main, and output by
 * semihosting, which emulators and debuggers understand. The stack is painted first, to see how far
 * it went. */
#include "board.h"
#include <stdint.h>

extern uint32_t board_data[], board_data_end[], board_data_load[], board_bss[], board_bss_end[],
    board_stack[], board_stack_end[];                   /* of board.ld */
int main(void);

enum { WRITE = 4, EXIT = 0x18, PAINT = 0x55aa55aa };
#define AT(address) (*(volatile uint32_t *)(address))
#define CPACR AT(0xe000ed88)                            /* bits 20 to 23: the floating-point unit */
#define TICK_CONTROL AT(0xe000e010)
#define TICK_LOAD AT(0xe000e014)
#define TICK_NOW AT(0xe000e018)

static volatile uint32_t turns;                         /* of the clock, 2^24 ticks each */
static void tick(void) { turns++; }

static void host(int what, const void *with)
{
    register int r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = with;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

/* where the C library reports errors of its mathematics: its own place costs a kilobyte of RAM */
int *__errno(void) { static int at; return &at; }

void board_put(const char *s) { host(WRITE, s); }

void board_note(const char *name, unsigned long value)
{
    char s[12], *p = s + sizeof s - 1;
    *p = 0;
    *--p = '\n';
    do *--p = (char)('0' + value % 10); while (value /= 10);
    board_put("# "), board_put(name), board_put(": "), board_put(p);
}

unsigned long board_ticks(void)
{
    for (;;) {
        const uint32_t was = turns, now = 0xffffff - TICK_NOW;
        if (was == turns) return was << 24 | now;
    }
}

static void stop(int ok)
{
    const uint32_t *p = board_stack;
    while (p < board_stack_end && *p == PAINT) p++;
    board_note("stack, bytes", (unsigned long)(board_stack_end - p) * 4);
    host(EXIT, (void *)(ok ? 0x20026 : 0x20023));       /* ended; a run-time error */
    for (;;) { }
}

static void fault(void)
{
    board_put("a fault\n");
    stop(0);
}

static void reset(void)
{
    CPACR |= 0xf << 20;
    __asm__ volatile("dsb\n isb");
    for (uint32_t *p = board_data, *q = board_data_load; p < board_data_end; ) *p++ = *q++;
    for (uint32_t *p = board_bss; p < board_bss_end; ) *p++ = 0;
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *p = board_stack; p < here - 8; ) *p++ = PAINT;
    TICK_LOAD = 0xffffff;
    TICK_NOW = 0;
    TICK_CONTROL = 7;                                   /* this processor's clock, and tick() */
    stop(!main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = { board_stack_end,
    (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    0, 0, 0, 0, (void *)fault, 0, 0, (void *)fault, (void *)tick };
