/*
 * Goroutines that wait for what nobody else refers to: nobody will ever wake them. How they are
 * found, and what is not seen: README.md, "Leaks by reference".
 */
#ifndef WEFT_DEBUG_REACH_H
#define WEFT_DEBUG_REACH_H

#include "sched/g.h"

struct reach;

/*
 * Looks through all memory. NULL: that can't be done (no /proc, no memory, a sanitizer's build), or
 * is not done by the deadline, of which *ret_is_late tells; so nobody is known to be leaked. Takes
 * about a second for each few GB; blocks the thread. Called outside the runtime.
 */
struct reach *wf_reach_find(int64_t deadline, bool *ret_is_late);
/* Is g, of which copy is a copy, one of them, and still in the same wait? */
bool wf_reach_is_leaked(const struct reach *r, const struct g *g, const struct g *copy);
/* NULL is allowed. */
void wf_reach_free(struct reach *r);

#endif /* WEFT_DEBUG_REACH_H */
