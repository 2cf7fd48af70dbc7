/*
 * From one stack to another, and the life of a goroutine on its own.
 *
 * The rule: nobody may see a goroutine as resumable while its stack is still in use. So what
 * makes it visible - releasing the lock of the queue it waits in, putting it on a run queue,
 * freeing it - is not done by itself but handed to whoever runs next on this thread, as a
 * commit, which is the first thing that happens on the new stack. (Go does it on g0; going
 * directly saves a switch.)
 *
 * These functions are opaque to the compiler (WF_PARKS), and m is re-read after each switch: it
 * travels with the switch, because the goroutine may go on on another thread.
 */
#include "sched/sched.h"

#include "sched/exceptions.h"
#include "sched/fiber.h"
#include "sched/panic.h"
#include "sched/scope_hook.h"

#include <errno.h>
#include <stdlib.h>

/* Publishes the wait of a goroutine that has left its stack (README.md, "Waking", W3). */
static void
commit_park(struct commit *pending)
{
	/* A copy: once the unlock or the timer is out, the frame it points into may be gone. */
	struct commit c = *pending;
	struct g *g = c.g;
	bool cancelled = false;

	WF_POINT("park.left");
	wf_store_relaxed(&g->status, G_WAITING);
	/*
	 * seq_cst: the other half is wf_cancel_wait, which marks and then reads (W6). A solo wait
	 * can't be cancelled, and its wakers come by way of the object's lock.
	 */
	if (c.complex)
		wf_store_seqcst(&g->wait, c.ticket);
	else
		wf_store_release(&g->wait, c.ticket);
	if (c.unlock != NULL)
		c.unlock(c.arg);
	else if (c.arg != NULL)
		wf_unlock(c.arg);
	if (!c.complex)
		return;		/* from here on g may be anywhere */
	WF_POINT("park.published");
	if (c.timer != NULL)
		wf_timer_arm(c.timer, c.deadline);
	WF_POINT("park.armed");
	if (c.cancellable && wf_scope_is_cancelled(g->scope))			/* W6 */
		cancelled = wf_claim_ticket(g, c.ticket, -ECANCELED);
	/* W3: release -> acquire in wf_park: the timer is armed, g's frame is its own again. */
	wf_store_release(&g->committing, 0);
	if (cancelled)
		wf_ready(g);
}

/* The end of a goroutine, off its stack. */
static void
commit_dead(struct m *m, struct g *g)
{
	struct wf_stack *s = g->stack;
	struct p *p = m->p;

#ifdef WF_TSAN
	if (g->sanitizer != NULL)
		__tsan_destroy_fiber(g->sanitizer);
	g->sanitizer = NULL;
#endif
	g->stack = NULL;
	if (s != NULL) {
		if (wf_unlikely(s->has_canary && !wf_stack_canary_ok(s)))
			wf_stack_overflowed(0, s);
#ifdef WF_ASAN
		__asan_unpoison_memory_region((void *)s->lo, s->hi - s->lo);
#endif
		if (wf_unlikely(wf_load_relaxed(&wf_sched.n_starved) != 0)) {
			wf_stack_put(s);
			wf_starved_feed(1, false);
		} else if (p != NULL && p->n_stacks < STACK_CACHE && wf_stack_is_default(s)) {
			p->stacks[p->n_stacks++] = s;
		} else {
			wf_stack_put(s);
		}
	}
	wf_g_free(g);
}

/* First thing on the new stack: what the stack that was left wanted done. */
static WF_ALWAYS_INLINE void
run_commit(struct m *m)
{
	enum commit_kind kind = m->commit.kind;
	struct g *g = m->commit.g;

	m->commit.kind = COMMIT_NONE;
	switch (kind) {
	case COMMIT_NONE:
		break;
	case COMMIT_PARK:
		commit_park(&m->commit);
		break;
	case COMMIT_YIELD:
		wf_store_relaxed(&g->status, G_RUNNABLE);
		wf_runq_put(m->p, g, false);						/* A1 */
		/*
		 * The look comes before the fence, to spare busy Ps the fence: a P that goes
		 * idle just now may be missed, and the monitor makes good for it (work_waits).
		 */
		if (wf_load_relaxed(&wf_sched.n_idle_p) != 0) {
			wf_fence_seqcst();						/* A2 */
			wf_wake_one();							/* A3 */
		}
		break;
	case COMMIT_GLOBAL:
		wf_store_relaxed(&g->status, G_RUNNABLE);
		wf_global_put(g);
		wf_fence_seqcst();						/* A2 */
		wf_wake_one();
		break;
	case COMMIT_DEAD:
		commit_dead(m, g);
		break;
	}
}

/* One side of a switch, for the sanitizers: whose fiber, and the bounds of its stack. */
struct side {
	void **sanitizer;
	uintptr_t lo, hi;
};

static WF_ALWAYS_INLINE struct side
side_of_g(struct g *g)
{
	struct side s = { NULL, wf_load_relaxed(&g->stack_lo), wf_load_relaxed(&g->stack_hi) };

#if defined(WF_TSAN) || defined(WF_ASAN)
	s.sanitizer = &g->sanitizer;
#endif
	return s;
}

static WF_ALWAYS_INLINE struct side
side_of_g0(struct m *m)
{
	struct side s = { NULL, m->g0_lo, m->g0_hi };

#if defined(WF_TSAN) || defined(WF_ASAN)
	s.sanitizer = &m->sanitizer;
#endif
	return s;
}

/* Leaves for `to`. Returns when `from` is resumed, after that thread's commit. dying: never. */
static WF_ALWAYS_INLINE void
cross(struct m *m, struct wf_ctx *from, struct side from_side, const struct wf_ctx *to,
    struct side to_side, bool dying)
{
	struct wf_os_exceptions taken, *kept = NULL;

	(void)from_side;
	(void)to_side;
	(void)dying;
	if (wf_unlikely(has_exceptions(m))) {
		take_exceptions(m, &taken);
		kept = &taken;
	}
#ifdef WF_TSAN
	__tsan_switch_to_fiber(*to_side.sanitizer, 0);
#endif
#ifdef WF_ASAN
	if (dying)
		wf_fiber_leave_for_good(from_side.sanitizer, (void *)to_side.lo,
		    to_side.hi - to_side.lo);
	else
		__sanitizer_start_switch_fiber(from_side.sanitizer, (void *)to_side.lo,
		    to_side.hi - to_side.lo);
#endif
	m = wf_ctx_switch(from, to, m);
	if (wf_unlikely(kept != NULL))
		*m->exceptions = *kept;
#ifdef WF_ASAN
	__sanitizer_finish_switch_fiber(*from_side.sanitizer, NULL, NULL);
#endif
	run_commit(m);
}

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

static void g_main(void *carry);

/* Gives g, which has not run yet, a stack. False: there is none. */
static WF_NOINLINE bool
prepare_first_run(struct m *m, struct g *g)
{
	struct p *p = m->p;
	struct wf_stack *s;

	if (g->stack_class == 0 && p->n_stacks > 0)
		s = p->stacks[--p->n_stacks];
	else
		s = wf_stack_get(g->stack_class);
	if (s == NULL)
		return false;
	if (WF_WAITS_ARE_HEARD() && wf_sched.debug.lint)
		wf_lint_stack(s);
	if (wf_unlikely(wf_load_relaxed(&g->flags) & GF_STARVED))
		wf_starved_no_more(g);
	g->stack = s;
	wf_store_relaxed(&g->stack_lo, s->lo);
	wf_store_relaxed(&g->stack_hi, s->hi);
	wf_ctx_init(&g->ctx, g_main, s->hi);
#ifdef WF_TSAN
	g->sanitizer = __tsan_create_fiber(0);
#endif
#ifdef WF_ASAN
	g->sanitizer = NULL;
#endif
	return true;
}

/* From a goroutine to the thread's own stack, where the scheduler looks further. */
WF_PARKS void
wf_switch_to_g0(struct m *m, struct g *from)
{
	if (m->p != NULL)	/* else it has left already, when its P was taken */
		WF_EVENT(leave, m, from, how_it_leaves(m));
	m->gate.g = NULL;
	cross(m, &from->ctx, side_of_g(from), &m->g0ctx, side_of_g0(m), false);
}

/* From the goroutine that runs on m to another. Returns when `from` runs again. */
WF_PARKS void
wf_switch_to_g(struct m *m, struct g *from, struct g *to)
{
	if (wf_unlikely(to->ctx.pc == 0 && !prepare_first_run(m, to))) {
		m->picked = to;		/* the scheduler puts it aside, after our commit */
		wf_switch_to_g0(m, from);
		return;
	}
	WF_EVENT(switch, m, from, how_it_leaves(m), to);
	if (from == to) {
		/* Nobody else was there: its commit would only put it back. */
		m->commit.kind = COMMIT_NONE;
		enter_g(m, to);
		return;
	}
	enter_g(m, to);
	cross(m, &from->ctx, side_of_g(from), &to->ctx, side_of_g(to), false);
}

/* From the thread's own stack into a goroutine. Returns when some goroutine on m gives up. */
static WF_PARKS void
run(struct m *m, struct g *g)
{
	if (wf_unlikely(g->ctx.pc == 0 && !prepare_first_run(m, g))) {
		wf_starve(g);
		return;
	}
	WF_EVENT(run, m, g);
	enter_g(m, g);
	cross(m, &m->g0ctx, side_of_g0(m), &g->ctx, side_of_g(g), false);
}

/* The loop of a thread, on its own stack. Returns when the thread is to end. */
void
wf_schedule(struct m *m)
{
	for (;;) {
		struct g *g;

		if (m->is_exiting && m->p != NULL)
			wf_hand_off(wf_p_release(m));
		if (m->locked_g != NULL) {
			wf_stop_locked(m);
			g = m->locked_g;
		} else if ((g = m->picked) != NULL) {
			m->picked = NULL;
		} else if ((g = wf_find_runnable(m)) == NULL) {
			return;
		}
		if (wf_load_relaxed(&g->locked) != 0 && g->m != m)
			wf_start_locked(m, g);
		else
			run(m, g);
	}
}

/* Where the scheduler begins on a stack made for it: the process's first thread. */
void
wf_g0_main(void *carry)
{
	struct m *m = carry;

#ifdef WF_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	run_commit(m);
	wf_schedule(m);
	wf_m_exit(m);
}

/*
 * The last that others notice of g: its deferred calls, which may park, and the word to its
 * scope.
 */
static void
leave_world(struct g *g)
{
	if (g->defers != NULL || g->tries != NULL)
		wf_run_defers(g);
	if (g->scope != NULL)
		wf_scope_leave(g);
}

/* What a goroutine owned that is not memory of ours. */
static void
release_belongings(struct g *g)
{
	if (wf_load_relaxed(&g->flags) & GF_OWN_ARG)
		free(g->arg);
	free(g->name);
	g->name = NULL;
	g->arg = NULL;
	g->scope = NULL;
	wf_store_relaxed(&g->flags, 0);
	wf_store_relaxed(&g->wait_reason, WAIT_NONE);
}

/* From here on g is dead for all who look. */
static WF_ALWAYS_INLINE void
bury(struct g *g)
{
	wf_store_relaxed(&g->status, G_DEAD);
	wf_store_relaxed(&g->id, 0);
	g->ctx.pc = 0;
}

/*
 * The goroutine's function has ended. If the next one has no stack yet, it gets this one, as it is:
 * no switch at all, and the next call of its function is the loop in g_main. Else leaves for
 * good.
 */
static WF_PARKS void
end_or_reuse(struct m *m, struct g *g)
{
	struct g *next;

	release_belongings(g);
	wf_store_relaxed(&m->p->n_ended, wf_load_relaxed(&m->p->n_ended) + 1);
	if (wf_unlikely(m->locked_g == g)) {
		/* Its thread ends with it: who knows what it did to it (Go's rule). */
		m->locked_g = NULL;
		wf_store_relaxed(&g->locked, 0);
		m->is_exiting = true;
		next = NULL;
	} else {
		next = wf_pick_needs_room(m->p, g) ? NULL : wf_pick_local(m);
	}
	if (wf_unlikely(has_exceptions(m)))	/* a panic left a catch block */
		take_exceptions(m, &(struct wf_os_exceptions){0});
	if (next != NULL && next->ctx.pc == 0 && next->stack_class == g->stack_class) {
		if (wf_unlikely(g->stack->has_canary && !wf_stack_canary_ok(g->stack)))
			wf_stack_overflowed(wf_load_relaxed(&g->id), g->stack);
		if (wf_unlikely(wf_load_relaxed(&next->flags) & GF_STARVED))
			wf_starved_no_more(next);
		next->stack = g->stack;
		g->stack = NULL;
		wf_store_relaxed(&next->stack_lo, wf_load_relaxed(&g->stack_lo));
		wf_store_relaxed(&next->stack_hi, wf_load_relaxed(&g->stack_hi));
		/* Not 0 any more: it has a stack, and runs on it. */
		next->ctx.pc = 1;
#if defined(WF_TSAN) || defined(WF_ASAN)
		next->sanitizer = g->sanitizer;
		g->sanitizer = NULL;
#endif
		WF_EVENT(switch, m, g, EVENT_END, next);
		bury(g);
		wf_g_free(g);
		enter_g(m, next);
		return;
	}
	m->commit.kind = COMMIT_DEAD;
	m->commit.g = g;
	if (next != NULL && (wf_load_relaxed(&next->locked) == 0 || next->m == m) &&
	    (next->ctx.pc != 0 || prepare_first_run(m, next))) {
		WF_EVENT(switch, m, g, EVENT_END, next);
		bury(g);
		enter_g(m, next);
		cross(m, &m->gone, side_of_g(g), &next->ctx, side_of_g(next), true);
	} else {
		WF_EVENT(leave, m, g, EVENT_END);
		bury(g);
		m->picked = next;
		m->gate.g = NULL;
		cross(m, &m->gone, side_of_g(g), &m->g0ctx, side_of_g0(m), true);
	}
	wf_throw("a dead goroutine was resumed", __FILE__, __LINE__);
}

/* The bottom frame of every goroutine's stack. */
static void
g_main(void *carry)
{
	struct m *m = carry;

#ifdef WF_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	run_commit(m);
	for (;;) {
		struct g *g = m->gate.g;

		wf_leave();
		g->fn(g->arg);
		m = wf_enter();
		if (WF_WAITS_ARE_HEARD() && wf_sched.debug.lint)
			wf_lint_end(m->gate.g);
		wf_g_end(m->gate.g);
		m = wf_self();
	}
}

/*
 * Ends the goroutine that runs here, after its deferred calls. Returns only if this stack has a
 * new goroutine, and only to g_main.
 */
WF_PARKS void
wf_g_end(struct g *g)
{
	leave_world(g);
	end_or_reuse(wf_self(), g);
}

/* As wf_g_end(), from anywhere in the goroutine: its stack is not used again by a successor. */
void
wf_g_exit(struct g *g)
{
	struct m *m;

	leave_world(g);
	m = wf_self();
	release_belongings(g);
	wf_store_relaxed(&m->p->n_ended, wf_load_relaxed(&m->p->n_ended) + 1);
	if (m->locked_g == g) {
		m->locked_g = NULL;
		wf_store_relaxed(&g->locked, 0);
		m->is_exiting = true;
	}
	WF_EVENT(leave, m, g, EVENT_END);
	bury(g);
	m->commit.kind = COMMIT_DEAD;
	m->commit.g = g;
	m->gate.g = NULL;
	cross(m, &m->gone, side_of_g(g), &m->g0ctx, side_of_g0(m), true);
	wf_throw("a dead goroutine was resumed", __FILE__, __LINE__);
	__builtin_unreachable();
}
