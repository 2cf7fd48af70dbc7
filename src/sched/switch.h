/*
 * From one stack to another, inline: the everyday half, which every wait and every yield goes
 * through. switch.c has the rest.
 *
 * The rule: nobody may see a goroutine as resumable while its stack is still in use. So what
 * makes it visible - releasing the lock of the queue it waits in, putting it on a run queue,
 * freeing it - is not done by itself but handed to whoever runs next on this thread, as a
 * commit, which is the first thing that happens on the new stack. (Go does it on g0; going
 * directly saves a switch.)
 *
 * A function that switches is opaque to the compiler (WF_PARKS), and so is every function that
 * these are compiled into. m is what the switch returns: it travels with it, because the goroutine
 * may go on on another thread.
 */
#ifndef WEFT_SCHED_SWITCH_H
#define WEFT_SCHED_SWITCH_H

#include "sched/exceptions.h"
#include "sched/fiber.h"
#include "sched/gcache.h"
#include "sched/kept.h"
#include "sched/pick.h"

/* ---- Commits ---- */

/* The other commits: switch.c, and life.c for a goroutine that has ended. */
void wf_commit_complex(const struct commit *c);
void wf_commit_global(struct g *g);
void wf_commit_dead(struct m *m, struct g *g);

/* Gives back what the goroutine has parked with. */
static WF_ALWAYS_INLINE void
commit_unlock(const struct commit *c)
    WF_HANDS_OVER("its lock, which wf_park_unlock() was given")
{
	if (c->unlock == wf_kept_give_back)	/* so that it is no call */
		wf_kept_unlock(c->arg, 0);
	else if (c->unlock != NULL)
		c->unlock(c->arg);
	else if (c->arg != NULL)
		wf_unlock(c->arg);
}

/* Publishes the wait of a goroutine that has left its stack (README.md, "Waking", W3). */
static WF_ALWAYS_INLINE void
commit_park(const struct commit *c)
{
	struct g *g = c->g;

	WF_POINT("park.left");
	wf_store_relaxed(&g->status, G_WAITING);
	if (wf_unlikely(c->complex)) {
		wf_commit_complex(c);
		return;
	}
	/* A solo wait can't be cancelled, and its wakers come by way of the object's lock. */
	wf_store_release(&g->wait, c->ticket);
	commit_unlock(c);
	/* From here on g may be anywhere. */
}

static WF_ALWAYS_INLINE void
commit_yield(struct m *m, struct g *g)
{
	wf_store_relaxed(&g->status, G_RUNNABLE);
	wf_runq_put(m->p, g, false);						/* A1 */
	/*
	 * The look comes before the fence, to spare busy Ps the fence: a P that goes
	 * idle just now may be missed, and the monitor makes good for it (work_waits).
	 */
	if (wf_unlikely(wf_load_relaxed(&wf_sched.n_idle_p) != 0)) {
		wf_fence_seqcst();						/* A2 */
		wf_wake_one();							/* A3 */
	}
}

/*
 * wf_commit_dead(), and what it mostly comes to: an everyday stack and a record, and room for both
 * at the P. Models count those that end, and sanitizers have their say first.
 */
static WF_ALWAYS_INLINE void
commit_dead(struct m *m, struct g *g)
{
#if !defined(WF_SMALL) && !defined(WF_TSAN) && !defined(WF_ASAN)
	struct wf_stack *s = g->stack;
	struct p *p = m->p;

	if (wf_likely(s != NULL && p != NULL && g->stack_class == 0 && p->n_stacks < STACK_CACHE &&
	    !s->has_canary && wf_load_relaxed(&wf_sched.n_starved) == 0 && !wf_race_told()) &&
	    g_keep(p, g)) {
		g->stack = NULL;
		p->stacks[p->n_stacks++] = s;
		return;
	}
#endif
	wf_commit_dead(m, g);
}

/* First thing on the new stack: what the stack that was left wanted done. */
static WF_ALWAYS_INLINE void
run_commit(struct m *m)
{
	enum commit_kind kind = m->commit.kind;
	struct g *g = m->commit.g;

	m->commit.kind = COMMIT_NONE;
	if (wf_likely(kind == COMMIT_PARK))
		commit_park(&m->commit);
	else if (kind == COMMIT_YIELD)
		commit_yield(m, g);
	else if (kind == COMMIT_DEAD)
		commit_dead(m, g);
	else if (kind == COMMIT_GLOBAL)
		wf_commit_global(g);
}

/* ---- Crossing ---- */

/* One side of a switch: where it goes on, and for the sanitizers its fiber and its bounds. */
struct side {
	struct wf_ctx *ctx;
#if defined(WF_TSAN) || defined(WF_ASAN)
	void **sanitizer;
	uintptr_t lo, hi;
#endif
};

static WF_ALWAYS_INLINE struct side
side_of_g(struct g *g)
{
	return (struct side){
		.ctx = &g->ctx,
#if defined(WF_TSAN) || defined(WF_ASAN)
		.sanitizer = &g->sanitizer,
		.lo = wf_load_relaxed(&g->stack_lo),
		.hi = wf_load_relaxed(&g->stack_hi),
#endif
	};
}

static WF_ALWAYS_INLINE struct side
side_of_g0(struct m *m)
{
	return (struct side){
		.ctx = &m->g0ctx,
#if defined(WF_TSAN) || defined(WF_ASAN)
		.sanitizer = &m->sanitizer,
		.lo = m->g0_lo,
		.hi = m->g0_hi,
#endif
	};
}

/* Leaves for `to`. Returns the M when `from` is resumed. dying: never. */
static WF_ALWAYS_INLINE struct m *
cross_bare(struct m *m, struct side from, struct side to, bool dying)
{
	(void)dying;
#ifdef WF_TSAN
	__tsan_switch_to_fiber(*to.sanitizer, 0);
#endif
#ifdef WF_ASAN
	if (dying)
		wf_fiber_leave_for_good(from.sanitizer, (void *)to.lo, to.hi - to.lo);
	else
		__sanitizer_start_switch_fiber(from.sanitizer, (void *)to.lo, to.hi - to.lo);
#endif
	if (wf_race_told())
		wf_fiber_switch_told(m);
	m = wf_ctx_switch(from.ctx, to.ctx, m);
#ifdef WF_ASAN
	__sanitizer_finish_switch_fiber(*from.sanitizer, NULL, NULL);
#endif
	return m;
}

/* As cross(), from amid a catch block. */
WF_PARKS void wf_cross_amid_catch(struct m *m, struct side from, struct side to);

/* Leaves for `to`. Returns when `from` is resumed, after that thread's commit. */
static WF_ALWAYS_INLINE void
cross(struct m *m, struct side from, struct side to)
{
	if (wf_unlikely(has_exceptions(m)))
		wf_cross_amid_catch(m, from, to);
	else
		run_commit(cross_bare(m, from, to, false));
}

/* ---- Goroutines ---- */

/* Gives g, which has not run yet, a stack. False: there is none. */
bool wf_prepare_first_run(struct m *m, struct g *g);

/*
 * m is about to run g. If a goroutine parked between weft_syscall_enter and exit, its mark would
 * be g's now, and the monitor would take g for blocked.
 */
static WF_ALWAYS_INLINE void
enter_g(struct m *m, struct g *g)
{
	g->m = m;
	m->gate.g = g;
	wf_store_relaxed(&m->gate.in_syscall, 0);
	wf_store_relaxed(&g->status, G_RUNNING);
	if (wf_unlikely(wf_load_relaxed(&g->flags) & GF_SAMPLED))
		wf_metrics_ran(m->p, g);
}

/* How the goroutine that leaves m leaves, as the commit says. */
static WF_ALWAYS_INLINE enum wf_event_how
how_it_leaves(const struct m *m)
{
	return m->commit.kind == COMMIT_PARK ? EVENT_PARK : EVENT_YIELD;
}

/* From the goroutine that runs on m to another. Returns when `from` runs again. */
static WF_ALWAYS_INLINE void
switch_to_g(struct m *m, struct g *from, struct g *to)
{
	WF_ASSERT(from != to);
	if (wf_unlikely(to->ctx.pc == 0) && !wf_prepare_first_run(m, to)) {
		m->picked = to;		/* the scheduler puts it aside, after our commit */
		wf_switch_to_g0(m, from);
		return;
	}
	WF_EVENT(switch, m, from, how_it_leaves(m), to);
	enter_g(m, to);
	cross(m, side_of_g(from), side_of_g(to));
}

#endif /* WEFT_SCHED_SWITCH_H */
