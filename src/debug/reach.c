/*
 * Which goroutines nobody can wake. See reach.h; the argument is in README.md, "Leaks by
 * reference", R1 to R6.
 */
#include "debug/reach.h"

#include "chan/chan.h"
#include "debug/peek.h"
#include "debug/reach_memory.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/gslab.h"
#include "sched/hooks.h"
#include "sched/sched.h"
#include "sched/timer_heap.h"
#include "scope/scope.h"

#include <string.h>

#define LOOKS 3			/* R5 */
#define LOOK_APART_MS 1
#define FILTER_BITS 20u
#define NOBODY UINT32_MAX
#define STACK_TOP 16u		/* bytes: the return address of where a goroutine begins */
#define STALE_BYTES 8192u	/* of our own frames */
#define THREAD_STACK_MAX ((uintptr_t)1 << 30)	/* more of it is not looked at */

/* One that may be leaked. */
struct candidate {
	const struct g *g;		/* first: they are sorted by it */
	uint64_t id, wait;		/* id 0: no candidate after all */
	enum wf_wait_reason reason;
	uintptr_t sp, hi;
	const struct weft_scope *scope;	/* whose cancelling ends its wait; NULL: no scope's does */
	uint32_t next;			/* of the same scope; or NOBODY */
};

/* What wakes somebody once it is reached: a stack, a channel, a scope. Sorted, apart. */
struct target {
	struct reach_range at;
	uint32_t candidate;		/* whose stack it is; or NOBODY */
	uint32_t first;			/* of those who wait in this scope; or NOBODY */
	bool is_reached;
};

struct reach {
	struct reach_memory memory;
	struct trace_out candidates, targets;
	struct trace_out todo;		/* uint32_t: targets reached, but not yet looked through */
	uintptr_t lo, hi;		/* of all targets */
	uint64_t filter[1u << (FILTER_BITS - 6)];	/* pages with targets, hashed */
	struct reach_range stack;	/* the caller's, in use */
	uintptr_t stack_lo;		/* ... and where it ends */
	struct g copy;
	uintptr_t words[REACH_WORDS];
};

static struct candidate *
candidate(const struct reach *r, size_t i)
{
	return (struct candidate *)(void *)r->candidates.data + i;
}

static struct target *
target(const struct reach *r, size_t i)
{
	return (struct target *)(void *)r->targets.data + i;
}

static size_t
n_targets(const struct reach *r)
{
	return r->targets.n / sizeof(struct target);
}

static void
append(struct trace_out *o, const void *item, size_t bytes)
{
	uint8_t *at = wf_trace_out_room(o, bytes);

	if (at == NULL)
		return;
	memcpy(at, item, bytes);
	o->n += bytes;
}

/* ---- R1: candidates ---- */

/* Is there somebody who must wake it, and whom it takes a reference to wake? */
static bool
is_woken_by_reference(enum wf_wait_reason reason)
{
	switch (reason) {
	case WAIT_NONE:
	case WAIT_SLEEP:
	case WAIT_IO:
	case WAIT_LOOKUP:
	case WAIT_FLIGHT:
	case WAIT_GOEXIT:
	case WAIT_REASON_MAX:
		return false;
	default:
		return true;
	}
}

static bool
may_be_leaked(const struct g *copy)
{
	return wf_load_relaxed(&copy->status) == G_WAITING && copy->stack != NULL &&
	    (wf_load_relaxed(&copy->wait) & 1) != 0 && !wf_load_relaxed(&copy->committing) &&
	    copy->ctx.sp >= wf_load_relaxed(&copy->stack_lo) &&
	    copy->ctx.sp < wf_load_relaxed(&copy->stack_hi) &&
	    is_woken_by_reference(wf_load_relaxed(&copy->wait_reason));
}

static void
add_target(struct reach *r, uintptr_t lo, uintptr_t hi, uint32_t who)
{
	struct target t = { .at = { lo, hi }, .candidate = who, .first = NOBODY };

	append(&r->targets, &t, sizeof(t));
}

static void
add_channel(struct reach *r, uintptr_t at)
{
	struct weft_chan c;
	size_t bytes;

	if (!wf_peek_copy(&c, at, sizeof(c), false) ||
	    __builtin_mul_overflow(c.cap, c.elem_size, &bytes) || bytes >> 40 != 0)
		return;
	add_target(r, at, at + sizeof(c) + bytes, NOBODY);
}

/*
 * The channels that it waits for, by the records on its stack: they have its address and the number
 * of its wait side by side. False: there is no record.
 */
static bool
add_channels(struct reach *r, const struct candidate *c)
{
	const size_t at_g = offsetof(struct waiter, g) / sizeof(uintptr_t);
	const size_t at_object = offsetof(struct waiter, object) / sizeof(uintptr_t);
	size_t overlap = sizeof(struct waiter), n;
	bool found = false;

	for (uintptr_t lo = c->sp; lo + overlap <= c->hi; lo += n - overlap) {
		n = wf_min((size_t)(c->hi - lo), sizeof(r->words));
		if (!wf_peek_copy(r->words, lo, n, false))
			return false;
		for (size_t i = 0; i + overlap / sizeof(uintptr_t) <= n / sizeof(uintptr_t); i++) {
			const uintptr_t *w = &r->words[i];

			if (w[at_g] != (uintptr_t)c->g || w[at_g + 1] != c->wait)
				continue;
			found = true;
			if (w[at_object] != 0)
				add_channel(r, w[at_object]);
		}
		if (n <= overlap || lo + n >= c->hi)
			break;
	}
	return found;
}

_Static_assert(offsetof(struct waiter, ticket) == offsetof(struct waiter, g) + sizeof(uintptr_t),
    "add_channels() looks for both");

static void
add_candidate(struct g *g, void *arg)
{
	struct reach *r = arg;
	struct candidate c = { .g = g, .next = NOBODY };

	if (!wf_peek_copy(&r->copy, (uintptr_t)g, sizeof(r->copy), true) ||
	    !may_be_leaked(&r->copy))
		return;
	c.id = wf_load_relaxed(&r->copy.id);
	c.wait = wf_load_relaxed(&r->copy.wait);
	c.reason = wf_load_relaxed(&r->copy.wait_reason);
	c.sp = r->copy.ctx.sp;
	c.hi = wf_load_relaxed(&r->copy.stack_hi);
	if (wf_load_relaxed(&r->copy.flags) & GF_CANCELLABLE)
		c.scope = r->copy.scope;
	append(&r->candidates, &c, sizeof(c));
}

static void
add_targets(struct reach *r, uint32_t i)
{
	struct candidate *c = candidate(r, i);

	if (!add_channels(r, c) && c->reason != WAIT_CHAN_RECV_NIL &&
	    c->reason != WAIT_CHAN_SEND_NIL && c->reason != WAIT_SELECT_NONE) {
		c->id = 0;	/* what it waits for is not to be seen: it counts as alive */
		return;
	}
	/* At both ends there is nothing to refer to: records of goroutines and stacks do. */
	add_target(r, c->sp + sizeof(uintptr_t), c->hi - STACK_TOP, i);
	if (c->scope != NULL)
		add_target(r, (uintptr_t)c->scope, (uintptr_t)(c->scope + 1), NOBODY);
}

/* ---- targets ---- */

static struct target *
find(const struct reach *r, uintptr_t addr)
{
	size_t lo = 0, hi = n_targets(r);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (target(r, mid)->at.lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && addr < target(r, lo - 1)->at.hi ? target(r, lo - 1) : NULL;
}

static uint32_t
filter_bit(uintptr_t addr)
{
	return (uint32_t)((uint64_t)(addr >> 12) * 0x9e3779b97f4a7c15u >> (64 - FILTER_BITS));
}

/* Each once, in order, and none in another. */
static void
sort_targets(struct reach *r)
{
	size_t n = n_targets(r), kept = 0;

	wf_reach_sort(r->targets.data, n, sizeof(struct target));
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || target(r, i)->at.lo >= target(r, kept - 1)->at.hi)
			*target(r, kept++) = *target(r, i);
	r->targets.n = kept * sizeof(struct target);
	r->lo = kept == 0 ? 0 : target(r, 0)->at.lo;
	r->hi = kept == 0 ? 0 : target(r, kept - 1)->at.hi;
	for (size_t i = 0; i < kept; i++)
		for (uintptr_t at = target(r, i)->at.lo; at < target(r, i)->at.hi;
		     at = (at | 4095) + 1)
			r->filter[filter_bit(at) / 64] |= (uint64_t)1 << filter_bit(at) % 64;
}

static void
link_scopes(struct reach *r)
{
	for (size_t i = 0; i < r->candidates.n / sizeof(struct candidate); i++) {
		struct candidate *c = candidate(r, i);
		struct target *t = c->scope != NULL ? find(r, (uintptr_t)c->scope) : NULL;

		if (t == NULL)
			continue;
		c->next = t->first;
		t->first = (uint32_t)i;
	}
}

/* ---- R2: marks ---- */

static void
reach(struct reach *r, struct target *t)
{
	uint32_t i = (uint32_t)(t - target(r, 0));

	if (t->is_reached)
		return;
	t->is_reached = true;
	append(&r->todo, &i, sizeof(i));
}

static void
reach_words(void *arg, const uintptr_t *words, size_t n)
{
	struct reach *r = arg;
	struct target *t;

	for (size_t i = 0; i < n; i++) {
		uint32_t bit;

		if (words[i] < r->lo || words[i] >= r->hi)
			continue;
		bit = filter_bit(words[i]);
		if ((r->filter[bit / 64] >> bit % 64 & 1) != 0 && (t = find(r, words[i])) != NULL)
			reach(r, t);
	}
}

static void
reach_stack_of(struct reach *r, const struct candidate *c)
{
	struct target *t = find(r, c->sp + sizeof(uintptr_t));

	if (t != NULL)
		reach(r, t);
}

/* What can be reached from what is reached. */
static void
go_on(struct reach *r)
{
	while (r->todo.n > 0) {
		const struct target *t;
		uint32_t i;

		r->todo.n -= sizeof(i);
		memcpy(&i, r->todo.data + r->todo.n, sizeof(i));
		t = target(r, i);
		wf_reach_range(&r->memory, t->at.lo - (t->candidate != NOBODY ? 8 : 0), t->at.hi);
		if (t->candidate != NOBODY) {
			uintptr_t g = (uintptr_t)candidate(r, t->candidate)->g;

			wf_reach_range(&r->memory, g, g + sizeof(struct g));
		}
		for (uint32_t c = t->first; c != NOBODY; c = candidate(r, c)->next)
			reach_stack_of(r, candidate(r, c));
	}
}

/* ---- R3: roots ---- */

static const struct candidate *
candidate_of(const struct reach *r, const struct g *g)
{
	size_t lo = 0, hi = r->candidates.n / sizeof(struct candidate);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((uintptr_t)candidate(r, mid)->g < (uintptr_t)g)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->candidates.n / sizeof(struct candidate) && candidate(r, lo)->g == g
	    ? candidate(r, lo) : NULL;
}

static bool
is_same_wait(const struct candidate *c, const struct g *copy)
{
	return wf_load_relaxed(&copy->id) == c->id && wf_load_relaxed(&copy->wait) == c->wait &&
	    wf_load_relaxed(&copy->status) == G_WAITING;
}

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
	const struct candidate *c = candidate_of(r, g);
	uintptr_t lo, hi, sp;
	uint64_t wait;

	if (!wf_peek_copy(&r->copy, (uintptr_t)g, sizeof(r->copy), true))
		return;
	if (c != NULL && is_same_wait(c, &r->copy))
		return;
	if (c != NULL)
		reach_stack_of(r, c);
	reach_words(r, (const uintptr_t *)(const void *)&r->copy,
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
		r->todo.failed = true;
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
	wf_lock(&ts->lock);
	if (ts->heap != NULL) {
		reach_words(r, (const uintptr_t *)(const void *)ts->heap,
		    ts->n * sizeof(ts->heap[0]) / sizeof(uintptr_t));
		leave_out((uintptr_t)ts->heap, (uintptr_t)(ts->heap + ts->cap), r);
	}
	wf_unlock(&ts->lock);
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
	for (size_t i = 0; i < n_targets(r); i++)
		if (target(r, i)->candidate == NOBODY)
			leave_out(target(r, i)->at.lo, target(r, i)->at.hi, r);
	leave_out(r->stack_lo, r->stack.lo, r);
	leave_out((uintptr_t)r, (uintptr_t)(r + 1), r);
	leave_out_own(r, &r->candidates);
	leave_out_own(r, &r->targets);
	leave_out_own(r, &r->todo);
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
	for (size_t i = 0; i < n_targets(r); i++)
		if (target(r, i)->is_reached)
			append(&r->todo, &(uint32_t){ (uint32_t)i }, sizeof(uint32_t));
	wf_reach_range(&r->memory, r->stack.lo, r->stack.hi);
	wf_g_each(look_at_live, r);
	if (!wf_reach_all(&r->memory))
		return false;
	go_on(r);
	return !r->todo.failed && !r->memory.is_refused;
}

static WF_NOINLINE bool
search(struct reach *r)
{
	size_t n;

	r->stack.lo = (uintptr_t)__builtin_frame_address(0);
	wf_g_each(add_candidate, r);
	n = r->candidates.n / sizeof(struct candidate);
	wf_reach_sort(r->candidates.data, n, sizeof(struct candidate));
	for (size_t i = 0; i < n; i++)
		add_targets(r, (uint32_t)i);
	if (r->candidates.failed || r->targets.failed)
		return false;
	sort_targets(r);
	link_scopes(r);
	for (int i = 0; i < LOOKS && n > 0; i++) {
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
wf_reach_find(void)
{
	struct reach *r = CAN_FIND ? wf_os_map(sizeof(*r)) : NULL;
	bool ok;

	if (r == NULL)
		return NULL;
	(void)wf_enter();
	r->stack_lo = stack_lo(wf_g());
	r->stack.hi = wf_load_relaxed(&wf_g()->stack_hi);
	wf_leave();
	__builtin_unwind_init();	/* what registers hold is on the stack above search() */
	ok = wf_reach_open(&r->memory, reach_words, r) && search(r);
	forget();
	if (ok)
		return r;
	wf_reach_free(r);
	return NULL;
}

bool
wf_reach_is_leaked(const struct reach *r, const struct g *g, const struct g *copy)
{
	const struct candidate *c = candidate_of(r, g);
	const struct target *t;

	if (c == NULL || !is_same_wait(c, copy))
		return false;
	t = find(r, c->sp + sizeof(uintptr_t));
	return t != NULL && !t->is_reached;
}

void
wf_reach_free(struct reach *r)
{
	if (r == NULL)
		return;
	wf_reach_close(&r->memory);
	wf_trace_out_free(&r->candidates);
	wf_trace_out_free(&r->targets);
	wf_trace_out_free(&r->todo);
	wf_os_unmap(r, sizeof(*r));
}
