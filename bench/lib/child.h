/* The process that runs one case once. Used by harness.c only. */
#ifndef WEFT_BENCH_CHILD_H
#define WEFT_BENCH_CHILD_H

#include "lib/harness.h"

#define BENCH_SKIPPED 77

/* Whose the case is, for people and for --case. */
const char *bench_by(const struct bench_case *c);

/*
 * After fork: sets CPUs, priority and environment, and becomes "program --case NAME BY". fd is
 * where it is to write its values; procs is how many CPUs it gets.
 */
void bench_child_exec(const char *program, const char *name, const char *by, int procs, int fd)
    __attribute__((noreturn));
int bench_child_main(const struct bench_case *cases, size_t n, const char *name, const char *by);

#endif /* WEFT_BENCH_CHILD_H */
