/*
 * The life of a goroutine on its own: its stack, its bottom frame, and its end, or the stack's next
 * goroutine. go.c makes them.
 */
#include "sched/switch.h"

#include "sched/panic.h"
#include "sched/scope_hook.h"
#include "sched/tags.h"

#include <stdlib.h>

static void g_main(void *carry);

WF_NOINLINE bool
wf_prepare_first_run(struct m *m, struct g *g)
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
	if (wf_race_told())
		wf_fiber_new_told(m, g, s);
	wf_ctx_init(&g->ctx, g_main, wf_stack_begin(s));
#ifdef WF_TSAN
	g->sanitizer = __tsan_create_fiber(0);
#endif
#ifdef WF_ASAN
	g->sanitizer = NULL;
#endif
	return true;
}

/* The end of a goroutine, off its stack. */
WF_NOINLINE void
wf_commit_dead(struct m *m, struct g *g)
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
		if (wf_race_told())
			wf_fiber_end_told(s);
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

/*
 * The last that others notice of g: its deferred calls, which may park, and the word to its
 * scope, or to whoever else asked for it.
 */
static WF_ALWAYS_INLINE void
leave_world(struct g *g)
{
	if (wf_unlikely(g->defers != NULL || g->tries != NULL))
		wf_run_defers(g);
	if (wf_unlikely(g->scope != NULL))
		wf_scope_leave(g);
	else if (g->ended != NULL)
		g->ended(g->ended_arg);
}

static WF_NOINLINE void
free_belongings(struct g *g)
{
	if (wf_load_relaxed(&g->flags) & GF_OWN_ARG)
		free(g->arg);
	wf_tags_drop(g);
}

/* What a goroutine owned that is not memory of ours. */
static WF_ALWAYS_INLINE void
release_belongings(struct g *g)
{
	if ((wf_load_relaxed(&g->flags) & GF_OWN_ARG) != 0 || wf_load_relaxed(&g->tags) != NULL)
		free_belongings(g);
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

/* Where g's registers go when it leaves for the last time. */
static WF_ALWAYS_INLINE struct side
side_left_for_good(struct m *m, struct g *g)
{
	struct side s = side_of_g(g);

	s.ctx = &m->gone;
	return s;
}

/*
 * The goroutine's function has ended. If the next one has no stack yet, it gets this one, as it is:
 * no switch at all, and the next call of its function is the loop in g_main. Else leaves for
 * good.
 */
static WF_ALWAYS_INLINE void
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
	drop_exceptions(m);
	if (next != NULL && next->ctx.pc == 0 && next->stack_class == g->stack_class &&
	    !wf_race_told()) {
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
		if (!g_keep(m->p, g))
			wf_g_free(g);
		enter_g(m, next);
		return;
	}
	m->commit.kind = COMMIT_DEAD;
	m->commit.g = g;
	if (next != NULL && (wf_load_relaxed(&next->locked) == 0 || next->m == m) &&
	    (next->ctx.pc != 0 || wf_prepare_first_run(m, next))) {
		WF_EVENT(switch, m, g, EVENT_END, next);
		bury(g);
		enter_g(m, next);
		(void)cross_bare(m, side_left_for_good(m, g), side_of_g(next), true);
	} else {
		WF_EVENT(leave, m, g, EVENT_END);
		bury(g);
		m->picked = next;
		m->gate.g = NULL;
		(void)cross_bare(m, side_left_for_good(m, g), side_of_g0(m), true);
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
		leave_world(m->gate.g);
		m = wf_self();
		end_or_reuse(m, m->gate.g);
	}
}

/*
 * Ends the goroutine that runs here, from anywhere in it, after its deferred calls. Its stack is
 * not used again by a successor.
 */
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
	drop_exceptions(m);
	WF_EVENT(leave, m, g, EVENT_END);
	bury(g);
	m->commit.kind = COMMIT_DEAD;
	m->commit.g = g;
	m->gate.g = NULL;
	(void)cross_bare(m, side_left_for_good(m, g), side_of_g0(m), true);
	wf_throw("a dead goroutine was resumed", __FILE__, __LINE__);
	__builtin_unreachable();
}
