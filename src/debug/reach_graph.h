/*
 * Who may be leaked, what would wake them if it were reached, and what is reached. R1 and R2 of
 * README.md, "Leaks by reference". It knows nothing of where references are looked for.
 */
#ifndef WEFT_DEBUG_REACH_GRAPH_H
#define WEFT_DEBUG_REACH_GRAPH_H

#include "debug/reach_memory.h"
#include "debug/trace_out.h"
#include "sched/g.h"

#define REACH_NOBODY UINT32_MAX
#define REACH_FILTER_BITS 20u

/* One that may be leaked. */
struct reach_candidate {
	const struct g *g;		/* first: they are sorted by it */
	uint64_t id, wait;		/* id 0: no candidate after all */
	enum wf_wait_reason reason;
	uintptr_t sp, hi;
	const struct weft_scope *scope;	/* whose cancelling ends its wait; NULL: no scope's does */
	uint32_t next;			/* of the same scope; or REACH_NOBODY */
};

/* What wakes somebody once it is reached: a stack, a channel, a scope. Sorted, apart. */
struct reach_target {
	struct reach_range at;
	uint32_t candidate;		/* whose stack it is; or REACH_NOBODY */
	uint32_t first;			/* of those who wait in this scope; or REACH_NOBODY */
	bool is_reached;
};

/* Owned by one thread. Zero, with memory set, is empty. */
struct reach_graph {
	struct reach_memory *memory;
	struct trace_out candidates, targets;
	struct trace_out todo;		/* uint32_t: targets reached, but not yet looked through */
	uintptr_t lo, hi;		/* of all targets */
	uint64_t filter[1u << (REACH_FILTER_BITS - 6)];	/* pages with targets, hashed */
	struct g copy;
	uintptr_t words[REACH_WORDS];
};

/* Once: all candidates as they are now, and their targets. False: no memory, or no time. */
bool wf_reach_gather(struct reach_graph *r);
void wf_reach_graph_free(struct reach_graph *r);

size_t wf_reach_n_targets(const struct reach_graph *r);
const struct reach_target *wf_reach_target(const struct reach_graph *r, size_t i);
/* NULL: g is none. */
const struct reach_candidate *wf_reach_candidate_of(const struct reach_graph *r, const struct g *g);
bool wf_reach_is_same_wait(const struct reach_candidate *c, const struct g *copy);

/* What n words point to is reached. arg is the graph. */
void wf_reach_words(void *arg, const uintptr_t *words, size_t n);
void wf_reach_stack_of(struct reach_graph *r, const struct reach_candidate *c);
bool wf_reach_is_reached(const struct reach_graph *r, const struct reach_candidate *c);
/* What was reached in earlier looks is to be looked through once more. */
void wf_reach_again(struct reach_graph *r);
/* Goes on to all that can be reached from what is. */
void wf_reach_go_on(struct reach_graph *r);

#endif /* WEFT_DEBUG_REACH_GRAPH_H */
