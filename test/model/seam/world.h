/*
 * A scheduler small enough to be explored: a few Ps and Ms that are there from the start, and what
 * the files of src/sched call that are not among those under test.
 */
#ifndef WEFT_MODEL_SEAM_WORLD_H
#define WEFT_MODEL_SEAM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/sched.h"

#define WORLD_PS 3
#define WORLD_MS 6
#define WORLD_GS 4

struct world {
	struct p ps[WORLD_PS];
	struct m ms[WORLD_MS];		/* those not given out yet are on sched.free_m */
	struct g gs[WORLD_GS];
	struct m *foreign[WORLD_MS];
	struct wf_scope_base *scope;
	bool may_raise;			/* is a thread's priority raised again when it asks? */
	unsigned n_fresh_ms;
	_Atomic uint32_t n_stacks;
	_Atomic uint32_t n_dead;	/* goroutines that have ended */

	/* The poller: goroutines whose descriptors are ready; the eventfd that wakes it. */
	_Atomic uint32_t poll_waiters, poll_word;
	struct wf_lock poll_lock;
	struct gqueue poll_ready;
};

extern struct world world;

/* n Ps, all idle; no M. Puts everything back. */
void world_reset(uint32_t n_ps);
/* An M. With a P it holds that one, which is taken off the idle list. NULL: none, as if foreign. */
struct m *world_m(struct p *p);
/*
 * n threads, the first n of the scenario, that are not weft's: each waits by itself, without P.
 * What objects do when they park and ready is the same, and there are fewer steps.
 */
void world_foreign(unsigned n);
/* The calling thread is its own one of these from now on. */
void world_become_foreign(void);
/* The calling thread is m from now on. */
void world_become(struct m *m);
/* A goroutine that is on no queue, and runs fn when it is run by wf_schedule(). */
struct g *world_g(unsigned i, void (*fn)(void *), void *arg);
/* A descriptor that g waits for, claimed, is ready now. */
void world_poll_ready(struct g *g);
/* Stands for aligned_alloc(3) where -Daligned_alloc=world_alloc is given. */
void *world_alloc(size_t align, size_t bytes);
/* A thread that does what the monitor does when it is woken: starts threads for others. */
void world_monitor(void);
/* Another frame takes the place of those that have returned: who still uses one of them races. */
void world_scribble(void);
/* Is there work on some queue? */
bool world_has_work(void);

#endif /* WEFT_MODEL_SEAM_WORLD_H */
