/*
 * Goroutines that can't start, because no stack can be had for them. They wait until others end,
 * and weft_go says -ENOMEM meanwhile: a shortage ends nobody. README.md, "When no stack can be
 * had".
 */
#include "sched/sched.h"

#include "sched/panic.h"

#define TRIES_MAX 100u	/* all asleep, and so often a stack was asked for in vain: dead */

/* The caches of idle Ps are of no use to those who wait here. Under sched.lock. */
static void
drain_idle_locked(void)
    WF_HOLDS(wf_sched.lock)
{
	for (struct p *p = wf_sched.idle_p; p != NULL; p = p->idle_next)
		while (p->n_stacks > 0)
			wf_stack_put(p->stacks[--p->n_stacks]);
}

/* g, which was picked to run for the first time, has got no stack. */
void
wf_starve(struct g *g)
{
	uint8_t flags = wf_load_relaxed(&g->flags);

	wf_lock(&wf_sched.lock);
	if (!(flags & GF_STARVED)) {
		wf_store_relaxed(&g->flags, (uint8_t)(flags | GF_STARVED));
		(void)wf_add_seqcst(&wf_sched.n_starved, 1u);
	}
	gqueue_put(&wf_sched.starved, g);
	drain_idle_locked();
	wf_unlock(&wf_sched.lock);
}

/* g, which starved, has got a stack. */
void
wf_starved_no_more(struct g *g)
{
	wf_store_relaxed(&g->flags, (uint8_t)(wf_load_relaxed(&g->flags) & ~(unsigned)GF_STARVED));
	(void)wf_sub_seqcst(&wf_sched.n_starved, 1u);
	wf_lock(&wf_sched.lock);
	wf_sched.starved_tries = 0;
	wf_unlock(&wf_sched.lock);
}

/* Lets up to max of them try again: a stack was given back, or the monitor comes by. */
void
wf_starved_feed(uint32_t max, bool is_monitor)
{
	struct gqueue q = { 0 };
	struct g *g;

	wf_lock(&wf_sched.lock);
	while (max-- > 0 && (g = gqueue_take(&wf_sched.starved)) != NULL)
		gqueue_put(&q, g);
	if (is_monitor && q.n != 0)
		wf_sched.starved_tries++;
	wf_global_put_all_locked(&q);
	wf_unlock(&wf_sched.lock);
	wf_fence_seqcst();						/* A2 */
	wf_wake_one();
}

/* Everybody is asleep. Returns if that is because nobody starves, or may be over soon. */
void
wf_starved_check_dead_locked(void)
{
	if (wf_load_relaxed(&wf_sched.n_starved) == 0 || wf_sched.starved_tries < TRIES_MAX)
		return;
	wf_unlock(&wf_sched.lock);
	wf_fatal_all("runtime: no memory for the stacks of %u goroutines, and all others sleep: "
	    "see ulimit -v, vm.overcommit_memory, vm.max_map_count and WEFT_STACK",
	    wf_load_relaxed(&wf_sched.n_starved));
}
