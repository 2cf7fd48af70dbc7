/*
 * The programs beside ours, in peers/, that do the same work: each takes "--list" and
 * "--case NAME BY" as ours do, and is named for whom it measures. Used by harness.c only.
 */
#ifndef WEFT_BENCH_PEERS_H
#define WEFT_BENCH_PEERS_H

#include <stdbool.h>

enum { PEERS_MAX = 16 };

/*
 * Looks for them, and tells what is started later where the load of a server is (BENCH_LOAD).
 * BENCH_BY="go pthread" leaves out everybody else, but for weft.
 */
void peers_find(void);
/* Whether `by` is to be measured at all. */
bool peers_wanted(const char *by);
int peers_count(void);
const char *peers_path(int i);
const char *peers_by(int i);
bool peers_has_case(int i, const char *name);

#endif /* WEFT_BENCH_PEERS_H */
