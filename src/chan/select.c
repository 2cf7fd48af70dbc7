/*
 * Select: waits for one of several channel operations. README.md, "Select", S1-S7.
 */
#include "chan/select.h"
#include "sched/panic.h"
#include "sched/timer.h"

#include <limits.h>
#include <stdlib.h>

/* Live cases that need no memory from the heap: README.md, "Memory". */
#define SELECT_SMALL 8
#define SELECT_LARGE 64

/* S1. Fills poll, inside out, with the live ones of n cases. */
static void
shuffle_live(struct select *s, size_t n)
{
	uint32_t filled = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t at;

		if (s->cases[i].chan == NULL)
			continue;
		/* Even in 0..filled: the multiplication's bias is below 2^-32 per case. */
		at = filled == 0 ? 0
		    : (uint32_t)(((uint64_t)wf_rand_fast() * (filled + 1)) >> 32);
		s->poll[filled] = s->poll[at];
		s->poll[at] = (uint32_t)i;
		filled++;
	}
	WF_ASSERT(filled == s->n);
}

/* ---- Cases ---- */

/* S2. The case that went, or -1. */
static int
try_unlocked(struct select *s)
{
	for (uint32_t k = 0; k < s->n; k++)
		if (case_looks_ready(&s->cases[s->poll[k]]) && case_goes(&s->cases[s->poll[k]]))
			return (int)s->poll[k];
	return -1;
}

/*
 * S1 and S2 for two cases, both live, without the arrays. Chance is asked only where it has a say:
 * a jump that depends on it is foretold wrong every other time.
 */
static WF_ALWAYS_INLINE int
try_two(weft_case *cases)
{
	int first = case_looks_ready(&cases[1]);
	int n = first + case_looks_ready(&cases[0]);

	if (n == 2)
		first = (int)(wf_rand_fast() >> 31);
	for (int i = 0; i < n; i++)
		if (case_goes(&cases[first ^ i]))
			return first ^ i;
	return -1;
}

/* ---- Select ---- */

static WF_PARKS int
select_run(struct select *s, size_t n, int64_t deadline)
{
	int r;

	shuffle_live(s, n);						/* S1 */
	r = try_unlocked(s);						/* S2 */
	return r >= 0 ? r : wf_select_with_locks(s, deadline);
}

/* Of two live ones that were looked at. Out of line: a ready one needs no such frame. */
static WF_NOINLINE WF_PARKS int
select_two(weft_case *cases, int64_t deadline)
{
	struct waiter waiter[2];
	uint32_t index[4];
	struct select s = { cases, 2, index, index + 2, waiter };

	shuffle_live(&s, 2);						/* S1 */
	return wf_returns_from(WAIT_SELECT, wf_select_with_locks(&s, deadline));
}

/* The same, however their locks are held. */
static WF_ALWAYS_INLINE int
wait_two(weft_case *cases, int64_t deadline)
{
	int r = wf_select_two_kept(cases, deadline);

	return wf_likely(r != CHAN_RARE) ? r : select_two(cases, deadline);
}

static WF_PARKS int
select_small(weft_case *cases, size_t n, uint32_t live, int64_t deadline)
{
	struct waiter waiter[SELECT_SMALL];
	uint32_t index[2 * SELECT_SMALL];
	struct select s = { cases, live, index, index + SELECT_SMALL, waiter };

	return select_run(&s, n, deadline);
}

static WF_PARKS int
select_large(weft_case *cases, size_t n, uint32_t live, int64_t deadline)
{
	struct waiter waiter[SELECT_LARGE];
	uint32_t index[2 * SELECT_LARGE];
	struct select s = { cases, live, index, index + SELECT_LARGE, waiter };

	return select_run(&s, n, deadline);
}

static WF_PARKS int
select_huge(weft_case *cases, size_t n, uint32_t live, int64_t deadline)
{
	struct waiter *waiter = calloc(live, sizeof(*waiter) + 2 * sizeof(uint32_t));
	uint32_t *index;
	int r;

	if (waiter == NULL)
		return -ENOMEM;
	index = (uint32_t *)(void *)(waiter + live);
	r = select_run(&(struct select){ cases, live, index, index + live, waiter }, n, deadline);
	free(waiter);
	return r;
}

/* The only live case: a plain operation. */
static WF_PARKS int
select_one(weft_case *cases, uint32_t i, int64_t deadline)
{
	weft_case *wc = &cases[i];
	int r = CHAN_BLOCKS;

	if (wc->op == WEFT_OP_SEND) {
		r = chan_look_send(wc->chan, deadline);
		if (r == CHAN_BLOCKS)
			r = wf_chan_send(wc->chan, wc->elem, deadline);
	} else if (wc->op == WEFT_OP_RECV) {
		r = chan_look_recv(wc->chan, wc->elem, deadline);
		if (r == CHAN_BLOCKS)
			r = wf_chan_recv(wc->chan, wc->elem, deadline);
	} else {
		r = event_look(event_of(wc)) ? 0 : wf_event_wait(event_of(wc), deadline);
	}
	if (r == -ETIMEDOUT || r == -ECANCELED)
		return r;
	wc->res = r;
	return (int)i;
}

/* How many cases have a channel; the last of them goes to *ret_last. Panics on a bad one. */
static size_t
count_live(const weft_case *cases, size_t n, size_t *ret_last)
{
	size_t live = 0;

	for (size_t i = 0; i < n; i++) {
		if (cases[i].chan == NULL)
			continue;
		if (wf_unlikely(cases[i].op < WEFT_OP_SEND || cases[i].op > WEFT_OP_WAIT))
			wf_panic("select: case %zu is no send, receive or wait", i);
		live++;
		*ret_last = i;
	}
	return live;
}

/* By the number of cases with a channel; last is the index of the last of them. */
static WF_PARKS int
select_live(weft_case *cases, size_t n, size_t live, size_t last, int64_t deadline)
{
	if (wf_unlikely(live == 0))
		return wf_chan_wait_nil(WAIT_SELECT_NONE, deadline);
	if (wf_unlikely(n > INT_MAX))
		return -ENOMEM;
	if (live == 1)
		return select_one(cases, (uint32_t)last, deadline);
	if (wf_likely(live <= SELECT_SMALL))
		return select_small(cases, n, (uint32_t)live, deadline);
	if (live <= SELECT_LARGE)
		return select_large(cases, n, (uint32_t)live, deadline);
	return select_huge(cases, n, (uint32_t)live, deadline);
}

/* Does one of the cases receive from a timer? It may be due already (T of README.md). */
static bool
has_timer(const weft_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cases[i].chan != NULL && cases[i].op != WEFT_OP_WAIT
		    && (cases[i].chan->flags & WF_CHAN_TIMER) != 0)
			return true;
	return false;
}

/* Is it the common one: two cases, both with a channel or an event? */
static WF_ALWAYS_INLINE bool
is_two(const weft_case *cases, size_t n)
{
	return n == 2 && cases[0].chan != NULL && cases[1].chan != NULL &&
	    (unsigned)cases[0].op - WEFT_OP_SEND <= WEFT_OP_WAIT - WEFT_OP_SEND &&
	    (unsigned)cases[1].op - WEFT_OP_SEND <= WEFT_OP_WAIT - WEFT_OP_SEND;
}

static WF_ALWAYS_INLINE int
run_two(weft_case *cases, int64_t deadline)
{
	int r = try_two(cases);						/* S1, S2 */

	return r >= 0 ? r : wait_two(cases, deadline);
}

static WF_PARKS int
run_many(weft_case *cases, size_t n, int64_t deadline)
{
	size_t last = 0;
	size_t live = count_live(cases, n, &last);

	return select_live(cases, n, live, last, deadline);
}

/* two: none of both was ready a moment ago. */
static WF_ALWAYS_INLINE int
run_further(weft_case *cases, size_t n, bool two, int64_t deadline)
{
	int r = two ? wait_two(cases, deadline) : run_many(cases, n, deadline);

	if (wf_unlikely(r == -ETIMEDOUT) && has_timer(cases, n)) {
		wf_timers_check();					/* T */
		r = two ? run_two(cases, WEFT_NOW) : run_many(cases, n, WEFT_NOW);
	}
	return r;
}

static WF_COLD int
select_told(weft_case *cases, size_t n, int64_t deadline)
{
	const weft_case *wc;
	bool two;
	int won;

	wf_enter();
	wf_told_begin();
	two = is_two(cases, n);
	won = two ? try_two(cases) : CHAN_BLOCKS;
	if (won < 0)
		won = run_further(cases, n, two, deadline);
	wf_told_end();
	wf_leave();
	if (won < 0)
		return won;
	wc = &cases[won];
	if (wc->op == WEFT_OP_WAIT)
		wf_race_acquire(event_of(wc));
	else if (wc->op == WEFT_OP_RECV)
		chan_told_received(wc->chan, wc->elem, wc->res);
	return won;
}

WF_API_PARKS int
weft_select(weft_case *cases, size_t n, int64_t deadline)
{
	bool two = wf_likely(is_two(cases, n));
	struct m *m;
	int won;

	if (wf_race_told())
		return select_told(cases, n, deadline);
	m = wf_enter();
	if (two && (won = try_two(cases)) >= 0) {			/* S1, S2 */
		wf_leave_from(m);
		return won;
	}
	wf_waits_here(m, WAIT_SELECT);
	won = run_further(cases, n, two, deadline);
	wf_leave();
	return wf_returns_here(won);
}
