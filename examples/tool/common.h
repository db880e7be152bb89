/* common.h -- what the tool (fd.c), the demo (demo.c) and some studies share. All numerical work is
 * in the library; here are the command line, files and the terminal, each header on top of those
 * before it. */
#ifndef COMMON_H
#define COMMON_H
#include "messages.h"                      /* errors, progress, folders */
#include "specs.h"                         /* name:key=value,key=value */
#include "options.h"                       /* flags */
#include "build.h"                         /* what specs stand for */
#include "dataset.h"                       /* functions of a file */
#include "kit.h"                           /* all that sampling needs, and its file */
#include "training.h"
#include "sampling.h"                      /* with metrics and pictures */

#endif
