/* test_plainread.c -- the tests of read.h where files cannot be mapped. */
#define READ_NO_MMAP
#include "test_read.c"
