/*
 * The values of one case, by everyone who ran it: medians, spreads, ratios. Used by harness.c only.
 */
#ifndef WEFT_BENCH_STATS_H
#define WEFT_BENCH_STATS_H

#include <stdio.h>

enum { STATS_MAX_RUNS = 101 };

/* Forgets all values. */
void stats_reset(void);
/* "what\tunit\tvalue" of round number `round`, measured by `by`. Other lines are ignored. */
void stats_take(const char *case_name, const char *by, int round, char *line);
/* CPU seconds per second that others used while `by` ran. */
void stats_others(const char *by, double others);
/* To stdout, and to tsv unless it is NULL. */
void stats_print(const char *bench, FILE *tsv);

#endif /* WEFT_BENCH_STATS_H */
