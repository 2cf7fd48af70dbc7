/*
 * Select: waits for one of several channel operations. README.md, "Select", S1-S7.
 */
#include "chan/case.h"
#include "sched/panic.h"
#include "sched/timer.h"

#include <limits.h>
#include <stdlib.h>

/* Live cases that need no memory from the heap: README.md, "Memory". */
#define SELECT_SMALL 8
#define SELECT_LARGE 64

/* One call's work. Lives on the goroutine's stack; constant from S5 on. */
struct select {
	weft_case *cases;	/* the user's */
	uint32_t n;		/* live cases; the arrays below have as many */
	uint32_t *poll;		/* indices of the live cases in the order in which to try them */
	uint32_t *order;	/* the same, channels by address */
	struct waiter *waiter;	/* waiter[k] waits for case order[k] */
};

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

static inline weft_case *
case_at(const struct select *s, uint32_t k)
{
	return &s->cases[s->order[k]];
}

/* S2. The case that went, or -1. */
static int
try_unlocked(struct select *s)
{
	for (uint32_t k = 0; k < s->n; k++)
		if (case_goes(&s->cases[s->poll[k]]))
			return (int)s->poll[k];
	return -1;
}

/* S1 and S2 for two cases, both live, without the arrays. */
static int
try_two(weft_case *cases)
{
	int first = (int)(wf_rand_fast() >> 31);

	for (int i = 0; i < 2; i++)
		if (case_goes(&cases[first ^ i]))
			return first ^ i;
	return -1;
}

/* S4. The same under all locks; whom to ready afterwards goes to *ret_wake. */
static int
try_locked(struct select *s, struct g **ret_wake)
    WF_HOLDS_UNNAMED("of all cases")
{
	for (uint32_t k = 0; k < s->n; k++) {
		weft_case *wc = &s->cases[s->poll[k]];
		int r = case_try_locked(wc, ret_wake);

		if (r != CHAN_BLOCKS) {
			wc->res = r;
			return (int)s->poll[k];
		}
	}
	return -1;
}

/* ---- Locks and queues ---- */

/* S3. */
static void
lock_all(struct select *s)
    WF_HANDS_OVER("locks of all cases")
{
	struct wf_lock *last = NULL;

	for (uint32_t k = 0; k < s->n; k++) {
		struct wf_lock *l = lock_of(case_at(s, k));

		if (l != last)
			case_lock(case_at(s, k), k);
		last = l;
	}
}

/*
 * S6. Runs when the goroutine, whose frame *arg is in, may already have been claimed: what comes
 * next is read before what comes before is unlocked, and nothing after the last unlock.
 */
static void
unlock_all(void *arg)
    WF_HANDS_OVER("those that lock_all() took")
{
	const struct select *s = arg;
	uint32_t k = s->n - 1;
	struct wf_lock *l = lock_of(case_at(s, k));

	while (k-- > 0) {
		struct wf_lock *next = lock_of(case_at(s, k));

		if (next != l) {
			wf_kept_unlock(l, k + 1);
			WF_POINT("select.unlocked_one");
		}
		l = next;
	}
	wf_kept_unlock(l, 0);
}

/* S5. */
static void
queue_all(struct select *s, int64_t deadline)
{
	for (uint32_t k = 0; k < s->n; k++) {
		weft_case *wc = case_at(s, k);
		struct waiter *w = &s->waiter[k];

		wf_waiter_init(w, deadline, true);
		w->solo = false;	/* any of them may be claimed */
		w->elem = wc->elem;
		w->index = k;
		if (wc->op == WEFT_OP_SEND)
			sendq_put(wc->chan, w);
		else if (wc->op == WEFT_OP_RECV)
			recvq_put(wc->chan, w);
		else
			event_queue(event_of(wc), w);
	}
}

/* S7 for the waiters first..last-1, all on one channel. */
static WF_PARKS void
leave_chan(struct select *s, uint32_t first, uint32_t last, int won)
{
	struct weft_chan *c = case_at(s, first)->chan;
	bool taken = false;
	chan_hold at = chan_lock(c);

	for (uint32_t k = first; k < last; k++) {
		bool sends = case_at(s, k)->op == WEFT_OP_SEND;

		if ((int)k != won && chan_remove_locked(c, sends ? &c->sendq : &c->recvq,
		    &s->waiter[k]))
			taken = true;
	}
	sendq_taken(c);
	recvq_taken(c);
	chan_unlock(c, at);
	for (uint32_t k = first; taken && k < last; k++)
		if ((int)k != won && s->waiter[k].queued)
			wf_taken_await_pass(&s->waiter[k]);
}

/* The same, all on one event. */
static WF_PARKS void
leave_event(struct select *s, uint32_t first, uint32_t last, int won)
{
	for (uint32_t k = first; k < last; k++)
		if ((int)k != won)
			wf_event_leave(event_of(case_at(s, k)), &s->waiter[k]);
}

/*
 * S7. won is the position of the claimed waiter, or negative. Its channel is left alone if no other
 * case has it: its claimer took it off, and may have freed the channel since.
 */
static WF_PARKS void
leave_all(struct select *s, int won)
{
	uint32_t first, last;

	WF_POINT("select.woken");
	for (first = 0; first < s->n; first = last) {
		const weft_case *wc = case_at(s, first);

		for (last = first + 1; last < s->n && case_at(s, last)->chan == wc->chan; last++)
			;
		if (wc->op == WEFT_OP_WAIT)
			leave_event(s, first, last, won);
		else if (last - first > 1 || (int)first != won)
			leave_chan(s, first, last, won);
	}
}

/* ---- Select ---- */

/* S5-S7, with all locks held, which are dropped. */
static int
select_wait(struct select *s, int64_t deadline)
{
	weft_case *wc;
	int won;

	queue_all(s, deadline);						/* S5 */
	won = wf_park(unlock_all, s, WAIT_SELECT, deadline, true);	/* S6 */
	leave_all(s, won);						/* S7 */
	if (won < 0)
		return wf_returns_from(WAIT_SELECT, won);

	wc = case_at(s, (uint32_t)won);
	if (wc->op == WEFT_OP_SEND)
		wc->res = s->waiter[won].n != 0 ? 0 : -EPIPE;
	else if (wc->op == WEFT_OP_RECV)
		wc->res = s->waiter[won].n != 0 ? 1 : 0;
	else
		wc->res = 0;
	return wf_returns_from(WAIT_SELECT, (int)s->order[won]);
}

/* The channels of poll's cases by address; two are one comparison. */
static void
sort(struct select *s)
{
	bool swap;

	if (s->n != 2) {
		memcpy(s->order, s->poll, s->n * sizeof(*s->order));
		wf_select_sort(s->order, s->n, s->cases);
		return;
	}
	swap = (uintptr_t)s->cases[s->poll[0]].chan > (uintptr_t)s->cases[s->poll[1]].chan;
	s->order[0] = s->poll[swap];
	s->order[1] = s->poll[!swap];
}

/* From S3 on. Nothing was ready a moment ago. */
static WF_PARKS int
select_with_locks(struct select *s, int64_t deadline)
{
	struct g *wake = NULL;
	int r;

	sort(s);
	lock_all(s);							/* S3 */
	r = try_locked(s, &wake);					/* S4 */
	if (r < 0) {
		r = chan_may_wait(deadline);
		if (r == 0)
			return select_wait(s, deadline);
	}
	unlock_all(s);
	if (wake != NULL)
		wf_ready(wake);
	return r;
}

static WF_PARKS int
select_run(struct select *s, size_t n, int64_t deadline)
{
	int r;

	shuffle_live(s, n);						/* S1 */
	r = try_unlocked(s);						/* S2 */
	return r >= 0 ? r : select_with_locks(s, deadline);
}

/* Of two live ones that were looked at. Out of line: a ready one needs no such frame. */
static WF_NOINLINE WF_PARKS int
select_two(weft_case *cases, int64_t deadline)
{
	struct waiter waiter[2];
	uint32_t index[4];
	struct select s = { cases, 2, index, index + 2, waiter };

	shuffle_live(&s, 2);						/* S1 */
	return wf_returns_from(WAIT_SELECT, select_with_locks(&s, deadline));
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

	return r >= 0 ? r : select_two(cases, deadline);
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
	int r = two ? select_two(cases, deadline) : run_many(cases, n, deadline);

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
