/*
 * Candidates, targets, marks. See reach_graph.h.
 */
#include "debug/reach_graph.h"

#include "chan/chan.h"
#include "debug/peek.h"
#include "sched/gslab.h"
#include "sched/hooks.h"
#include "sched/sched.h"
#include "scope/scope.h"

#include <string.h>

#define STACK_TOP 16u		/* bytes: the return address of where a goroutine begins */

static struct reach_candidate *
candidate(const struct reach_graph *r, size_t i)
{
	return (struct reach_candidate *)(void *)r->candidates.data + i;
}

static struct reach_target *
target(const struct reach_graph *r, size_t i)
{
	return (struct reach_target *)(void *)r->targets.data + i;
}

static size_t
n_targets(const struct reach_graph *r)
{
	return r->targets.n / sizeof(struct reach_target);
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
add_target(struct reach_graph *r, uintptr_t lo, uintptr_t hi, uint32_t who)
{
	struct reach_target t = { .at = { lo, hi }, .candidate = who, .first = REACH_NOBODY };

	append(&r->targets, &t, sizeof(t));
}

static void
add_channel(struct reach_graph *r, uintptr_t at)
{
	struct weft_chan c;
	size_t bytes;

	if (!wf_peek_copy(&c, at, sizeof(c), false) ||
	    __builtin_mul_overflow(c.cap, c.elem_size, &bytes) || bytes >> 40 != 0)
		return;
	add_target(r, at, at + sizeof(c) + bytes, REACH_NOBODY);
}

/*
 * The channels that it waits for, by the records on its stack: they have its address and the number
 * of its wait side by side. False: there is no record.
 */
static bool
add_channels(struct reach_graph *r, const struct reach_candidate *c)
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
	struct reach_graph *r = arg;
	struct reach_candidate c = { .g = g, .next = REACH_NOBODY };

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
add_targets(struct reach_graph *r, uint32_t i)
{
	struct reach_candidate *c = candidate(r, i);

	if (!add_channels(r, c) && c->reason != WAIT_CHAN_RECV_NIL &&
	    c->reason != WAIT_CHAN_SEND_NIL && c->reason != WAIT_SELECT_NONE) {
		c->id = 0;	/* what it waits for is not to be seen: it counts as alive */
		return;
	}
	/* At both ends there is nothing to refer to: records of goroutines and stacks do. */
	add_target(r, c->sp + sizeof(uintptr_t), c->hi - STACK_TOP, i);
	if (c->scope != NULL)
		add_target(r, (uintptr_t)c->scope, (uintptr_t)(c->scope + 1), REACH_NOBODY);
}

/* ---- targets ---- */

static struct reach_target *
find(const struct reach_graph *r, uintptr_t addr)
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
	return (uint32_t)((uint64_t)(addr >> 12) * 0x9e3779b97f4a7c15u >> (64 - REACH_FILTER_BITS));
}

/* Each once, in order, and none in another. False: there was no time. */
static bool
sort_targets(struct reach_graph *r)
{
	size_t n = n_targets(r), kept = 0;

	if (!wf_reach_sort(r->memory, r->targets.data, n, sizeof(struct reach_target)))
		return false;
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || target(r, i)->at.lo >= target(r, kept - 1)->at.hi)
			*target(r, kept++) = *target(r, i);
	r->targets.n = kept * sizeof(struct reach_target);
	r->lo = kept == 0 ? 0 : target(r, 0)->at.lo;
	r->hi = kept == 0 ? 0 : target(r, kept - 1)->at.hi;
	for (size_t i = 0; i < kept; i++)
		for (uintptr_t at = target(r, i)->at.lo; at < target(r, i)->at.hi;
		     at = (at | 4095) + 1)
			r->filter[filter_bit(at) / 64] |= (uint64_t)1 << filter_bit(at) % 64;
	return true;
}

/* Those who wait in it, of each scope. */
static void
link_scopes(struct reach_graph *r)
{
	for (size_t i = 0; i < r->candidates.n / sizeof(struct reach_candidate); i++) {
		struct reach_candidate *c = candidate(r, i);
		struct reach_target *t = c->scope != NULL ? find(r, (uintptr_t)c->scope) : NULL;

		if (t == NULL)
			continue;
		c->next = t->first;
		t->first = (uint32_t)i;
	}
}

bool
wf_reach_gather(struct reach_graph *r)
{
	size_t n;

	wf_g_each(add_candidate, r);
	n = r->candidates.n / sizeof(struct reach_candidate);
	if (!wf_reach_sort(r->memory, r->candidates.data, n, sizeof(struct reach_candidate)))
		return false;
	for (size_t i = 0; i < n && !wf_reach_is_late(r->memory); i++)
		add_targets(r, (uint32_t)i);
	if (r->candidates.failed || r->targets.failed || r->memory->is_late || !sort_targets(r))
		return false;
	link_scopes(r);
	return true;
}

void
wf_reach_graph_free(struct reach_graph *r)
{
	wf_trace_out_free(&r->candidates);
	wf_trace_out_free(&r->targets);
	wf_trace_out_free(&r->todo);
}

size_t
wf_reach_n_targets(const struct reach_graph *r)
{
	return n_targets(r);
}

const struct reach_target *
wf_reach_target(const struct reach_graph *r, size_t i)
{
	return target(r, i);
}

/* ---- R2: marks ---- */

static void
reach(struct reach_graph *r, struct reach_target *t)
{
	uint32_t i = (uint32_t)(t - target(r, 0));

	if (t->is_reached)
		return;
	t->is_reached = true;
	append(&r->todo, &i, sizeof(i));
}

void
wf_reach_words(void *arg, const uintptr_t *words, size_t n)
{
	struct reach_graph *r = arg;
	struct reach_target *t;

	for (size_t i = 0; i < n; i++) {
		uint32_t bit;

		if (words[i] < r->lo || words[i] >= r->hi)
			continue;
		bit = filter_bit(words[i]);
		if ((r->filter[bit / 64] >> bit % 64 & 1) != 0 && (t = find(r, words[i])) != NULL)
			reach(r, t);
	}
}

void
wf_reach_stack_of(struct reach_graph *r, const struct reach_candidate *c)
{
	struct reach_target *t = find(r, c->sp + sizeof(uintptr_t));

	if (t != NULL)
		reach(r, t);
}

bool
wf_reach_is_reached(const struct reach_graph *r, const struct reach_candidate *c)
{
	const struct reach_target *t = find(r, c->sp + sizeof(uintptr_t));

	return t == NULL || t->is_reached;
}

void
wf_reach_again(struct reach_graph *r)
{
	for (size_t i = 0; i < n_targets(r); i++)
		if (target(r, i)->is_reached)
			append(&r->todo, &(uint32_t){ (uint32_t)i }, sizeof(uint32_t));
}

void
wf_reach_go_on(struct reach_graph *r)
{
	while (r->todo.n > 0 && !r->memory->is_late) {
		const struct reach_target *t;
		uint32_t i;

		r->todo.n -= sizeof(i);
		memcpy(&i, r->todo.data + r->todo.n, sizeof(i));
		t = target(r, i);
		wf_reach_range(r->memory, t->at.lo - (t->candidate != REACH_NOBODY ? 8 : 0),
		    t->at.hi);
		if (t->candidate != REACH_NOBODY) {
			uintptr_t g = (uintptr_t)candidate(r, t->candidate)->g;

			wf_reach_range(r->memory, g, g + sizeof(struct g));
		}
		for (uint32_t c = t->first; c != REACH_NOBODY; c = candidate(r, c)->next)
			wf_reach_stack_of(r, candidate(r, c));
	}
}

const struct reach_candidate *
wf_reach_candidate_of(const struct reach_graph *r, const struct g *g)
{
	size_t lo = 0, hi = r->candidates.n / sizeof(struct reach_candidate);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((uintptr_t)candidate(r, mid)->g < (uintptr_t)g)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->candidates.n / sizeof(struct reach_candidate) && candidate(r, lo)->g == g
	    ? candidate(r, lo) : NULL;
}

bool
wf_reach_is_same_wait(const struct reach_candidate *c, const struct g *copy)
{
	return wf_load_relaxed(&copy->id) == c->id && wf_load_relaxed(&copy->wait) == c->wait &&
	    wf_load_relaxed(&copy->status) == G_WAITING;
}
