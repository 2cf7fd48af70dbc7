/*
 * Which goroutines nobody can wake. See reach.h; the argument is in README.md, "Leaks by
 * reference", R1 to R7.
 */
#include "debug/reach.h"

#include "debug/peek.h"
#include "debug/profile_table.h"
#include "debug/reach_graph.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/gslab.h"
#include "sched/hooks.h"
#include "sched/kept.h"
#include "sched/sched.h"
#include "sched/timer_heap.h"
#include "trace/block.h"

#include <string.h>

#define LOOKS 3			/* R5 */
#define LOOK_APART_MS 1
#define STALE_BYTES 8192u	/* of our own frames */
#define THREAD_STACK_MAX ((uintptr_t)1 << 30)	/* more of it is not looked at */

struct reach {
	struct reach_memory memory;
	struct reach_graph graph;
	struct reach_range stack;	/* the caller's, in use */
	uintptr_t stack_lo;		/* ... and where it ends */
	bool has_failed;
	struct g copy;
};

/* ---- R3: roots ---- */

/* Its stack is a thread's, and no memory of ours. */
static bool
is_on_thread(const struct g *g)
{
	return (wf_load_relaxed(&g->flags) & (GF_BOUND | GF_MAIN)) != 0;
}

/*
 * The main thread's stack seems to reach down to the next mapping if it has no limit (ulimit -s
 * unlimited), and the mappings made later are put in that room.
 */
static uintptr_t
stack_lo(const struct g *g)
{
	uintptr_t lo = wf_load_relaxed(&g->stack_lo), hi = wf_load_relaxed(&g->stack_hi);

	return is_on_thread(g) && hi - lo > THREAD_STACK_MAX ? hi - THREAD_STACK_MAX : lo;
}

/* One that may go on: its record, and its stack, from where it was left if it does not run. */
static void
look_at_live(struct g *g, void *arg)
{
	struct reach *r = arg;
	const struct reach_candidate *c = wf_reach_candidate_of(&r->graph, g);
	uintptr_t lo, hi, sp;
	uint64_t wait;

	if (r->memory.is_late || !wf_peek_copy(&r->copy, (uintptr_t)g, sizeof(r->copy), true))
		return;
	if (c != NULL && wf_reach_is_same_wait(c, &r->copy))
		return;
	if (c != NULL)
		wf_reach_stack_of(&r->graph, c);
	wf_reach_words(&r->graph, (const uintptr_t *)(const void *)&r->copy,
	    sizeof(r->copy) / sizeof(uintptr_t));
	if (r->copy.stack == NULL && !is_on_thread(&r->copy))
		return;		/* not begun: its bounds are those of an earlier goroutine */
	lo = stack_lo(&r->copy);
	hi = wf_load_relaxed(&r->copy.stack_hi);
	if (r->stack.lo >= lo && r->stack.lo < hi)
		return;				/* the caller's */
	sp = r->copy.ctx.sp;
	wait = wf_load_relaxed(&r->copy.wait);
	if (wf_load_relaxed(&r->copy.status) != G_RUNNING && sp >= lo && sp < hi) {
		wf_reach_range(&r->memory, sp, hi);
		if (wf_peek_copy(&r->copy, (uintptr_t)g, sizeof(r->copy), true) &&
		    wf_load_relaxed(&r->copy.wait) == wait && r->copy.ctx.sp == sp &&
		    wf_load_relaxed(&r->copy.status) != G_RUNNING)
			return;
	}
	if (!wf_reach_touched(&r->memory, lo, hi))
		r->has_failed = true;
}

/* ---- R4: holes ---- */

static void
leave_out(uintptr_t lo, uintptr_t hi, void *arg)
{
	struct reach *r = arg;

	wf_reach_hole(&r->memory, lo, hi);
}

static void
leave_out_stack(struct g *g, void *arg)
{
	if (is_on_thread(g))		/* it is looked at as the goroutine's */
		leave_out(stack_lo(g), wf_load_relaxed(&g->stack_hi), arg);
}

static void
leave_out_own(struct reach *r, const struct trace_out *o)
{
	leave_out((uintptr_t)o->data, (uintptr_t)o->data + o->cap, r);
}

/* Of the own stack of our threads, what the scheduler uses; the rest is the program's. */
static void
leave_out_thread(struct reach *r, const struct m *m)
{
	uintptr_t lo = m->g0_lo, sp = m->g0ctx.sp;

	leave_out((uintptr_t)m, (uintptr_t)(m + 1), r);
	leave_out((uintptr_t)m->sigstack, (uintptr_t)m->sigstack + SIGSTACK_BYTES, r);
	if (!m->is_foreign && sp >= lo && sp < m->g0_hi)
		leave_out(lo, sp, r);
}

/* Those that are armed. Behind the end of the heap stand some of before: it is left out. */
static void
look_at_timers(struct reach *r, struct timers *ts)
{
	(void)wf_enter();	/* as who takes a lock that is kept must be inside */
	(void)wf_kept_take(&ts->lock);
	if (ts->heap != NULL) {
		wf_reach_words(&r->graph, (const uintptr_t *)(const void *)ts->heap,
		    ts->n * sizeof(ts->heap[0]) / sizeof(uintptr_t));
		leave_out((uintptr_t)ts->heap, (uintptr_t)(ts->heap + ts->cap), r);
	}
	wf_unlock(&ts->lock);
	wf_leave();
}

static void
find_holes(struct reach *r)
{
	r->memory.holes.n = 0;
	wf_stack_each_arena(leave_out, r);
	wf_g_each(leave_out_stack, r);
	for (const struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
		leave_out_thread(r, m);
	for (const struct wf_chunk *c = wf_load_acquire(&wf_chunks); c != NULL; c = c->all_next)
		leave_out((uintptr_t)c->gs, (uintptr_t)(c->gs + WF_CHUNK_GS), r);
	for (size_t i = 0; i < wf_reach_n_targets(&r->graph); i++) {
		const struct reach_target *t = wf_reach_target(&r->graph, i);

		if (t->candidate == REACH_NOBODY)
			leave_out(t->at.lo, t->at.hi, r);
	}
	wf_trace_block_each(leave_out, r);
	wf_profile_each_table(leave_out, r);
	leave_out(r->stack_lo, r->stack.lo, r);
	leave_out((uintptr_t)r, (uintptr_t)(r + 1), r);
	leave_out_own(r, &r->graph.candidates);
	leave_out_own(r, &r->graph.targets);
	leave_out_own(r, &r->graph.todo);
	(void)wf_trace_out_room(&r->memory.holes, sizeof(struct reach_range));
	leave_out_own(r, &r->memory.holes);	/* which does not grow by that */
}

/* ---- the search ---- */

/* One look: false if it could not be had. */
static bool
look(struct reach *r)
{
	find_holes(r);
	for (uint32_t i = 0; i < wf_load_acquire(&wf_sched.n_p); i++)
		look_at_timers(r, &wf_load_acquire(&wf_sched.all_p[i])->timers);
	wf_reach_again(&r->graph);
	wf_reach_range(&r->memory, r->stack.lo, r->stack.hi);
	wf_g_each(look_at_live, r);
	if (!wf_reach_all(&r->memory))
		return false;
	wf_reach_go_on(&r->graph);
	return !r->has_failed && !r->graph.todo.failed && !r->memory.is_refused &&
	    !r->memory.is_late;
}

static WF_NOINLINE bool
search(struct reach *r)
{
	r->stack.lo = (uintptr_t)__builtin_frame_address(0);
	if (!wf_reach_gather(&r->graph))
		return false;
	for (int i = 0; i < LOOKS && wf_reach_n_targets(&r->graph) > 0; i++) {
		if (i > 0)
			(void)wf_os_poll_wait(-1, 0, LOOK_APART_MS);
		if (!look(r))
			return false;
	}
	return true;
}

/* What our frames have left on the stack would be found by the next who look. */
static WF_NOINLINE void
forget(void)
{
	volatile uintptr_t words[STALE_BYTES / sizeof(uintptr_t)];

	for (size_t i = 0; i < wf_countof(words); i++)
		words[i] = 0;
}

/* Under sanitizers records are elsewhere than on stacks, or memory is without end. */
#if defined(WF_ASAN) || defined(WF_TSAN)
#define CAN_FIND false
#else
#define CAN_FIND true
#endif

struct reach *
wf_reach_find(int64_t deadline, bool *ret_is_late)
{
	struct reach *r = CAN_FIND ? wf_os_map(sizeof(*r)) : NULL;
	bool ok;

	*ret_is_late = false;
	if (r == NULL)
		return NULL;
	(void)wf_enter();
	r->stack_lo = stack_lo(wf_g());
	r->stack.hi = wf_load_relaxed(&wf_g()->stack_hi);
	wf_leave();
	r->graph.memory = &r->memory;
	__builtin_unwind_init();	/* what registers hold is on the stack above search() */
	ok = wf_reach_open(&r->memory, wf_reach_words, &r->graph, deadline) && search(r);
	forget();
	*ret_is_late = r->memory.is_late;
	if (ok)
		return r;
	wf_reach_free(r);
	return NULL;
}

bool
wf_reach_is_leaked(const struct reach *r, const struct g *g, const struct g *copy)
{
	const struct reach_candidate *c = wf_reach_candidate_of(&r->graph, g);

	return c != NULL && wf_reach_is_same_wait(c, copy) && !wf_reach_is_reached(&r->graph, c);
}

void
wf_reach_free(struct reach *r)
{
	if (r == NULL)
		return;
	wf_reach_close(&r->memory);
	wf_reach_graph_free(&r->graph);
	wf_os_unmap(r, sizeof(*r));
}
