/* The process that runs one case once. Used by harness.c only. */
#ifndef WEFT_BENCH_CHILD_H
#define WEFT_BENCH_CHILD_H

#include "lib/harness.h"

#define BENCH_SKIPPED 77

/* After fork: becomes "program --case NAME" with CPUs, priority and environment set. */
void bench_child_exec(const char *program, const struct bench_case *c, int fd)
    __attribute__((noreturn));
int bench_child_main(const struct bench_case *cases, size_t n, const char *name);

#endif /* WEFT_BENCH_CHILD_H */
