/*
 * Timer heaps: 4-ary, one per P, each under its own lock. API and lock order: timer.h.
 *
 * The key stands beside the pointer, so that sifting does not touch the timers. A timer knows
 * its index, so that disarming is O(log n) and leaves nothing behind (Go: lazy, zombies).
 *
 * Ordering with a thread that goes to wait in the poller (README.md, "Timers and the poller"):
 *   T1  timers.next: seq_cst store in arm      T3  poll_until: seq_cst store by the poller
 *   T2  poll_until: seq_cst load in arm        T4  timers.next: seq_cst load by the poller
 * Either arm sees that the poller would sleep too long and wakes it, or the poller sees the timer.
 */
#include "sched/timer.h"

#include "os/os.h"
#include "sched/panic.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define ARITY 4u
#define HEAP_MIN 64u

struct timer_entry {
	int64_t when;
	struct wf_timer *t;
};

void
wf_timers_init(struct timers *ts)
{
	wf_store_relaxed(&ts->next, INT64_MAX);
	ts->heap = NULL;
	ts->n = ts->cap = 0;
}

static void
place(struct timers *ts, uint32_t i, struct timer_entry e)
{
	ts->heap[i] = e;
	e.t->index = i;
}

static void
sift_up(struct timers *ts, uint32_t i)
{
	struct timer_entry e = ts->heap[i];

	while (i > 0) {
		uint32_t parent = (i - 1) / ARITY;

		if (ts->heap[parent].when <= e.when)
			break;
		place(ts, i, ts->heap[parent]);
		i = parent;
	}
	place(ts, i, e);
}

static void
sift_down(struct timers *ts, uint32_t i)
{
	struct timer_entry e = ts->heap[i];

	for (;;) {
		uint32_t first = i * ARITY + 1, best = first;

		if (first >= ts->n)
			break;
		for (uint32_t c = first + 1; c < first + ARITY && c < ts->n; c++)
			if (ts->heap[c].when < ts->heap[best].when)
				best = c;
		if (ts->heap[best].when >= e.when)
			break;
		place(ts, i, ts->heap[best]);
		i = best;
	}
	place(ts, i, e);
}

static void
publish_next(struct timers *ts)
{
	wf_store_seqcst(&ts->next, ts->n == 0 ? INT64_MAX : ts->heap[0].when);	/* T1 */
}

static bool
grow(struct timers *ts)
{
	uint32_t cap = ts->cap == 0 ? HEAP_MIN : ts->cap * 2;
	struct timer_entry *heap = realloc(ts->heap, cap * sizeof(*heap));

	if (heap == NULL)
		return false;
	ts->heap = heap;
	ts->cap = cap;
	return true;
}

/* Gives memory back after a burst. A realloc that fails leaves what is there. */
static void
shrink(struct timers *ts)
{
	uint32_t cap = ts->cap / 2;
	struct timer_entry *heap;

	if (ts->cap <= 4096 || ts->n > ts->cap / 8)
		return;
	heap = realloc(ts->heap, cap * sizeof(*heap));
	if (heap != NULL) {
		ts->heap = heap;
		ts->cap = cap;
	}
}

static bool
insert(struct timers *ts, struct wf_timer *t, int64_t when)
{
	if (ts->n == ts->cap && !grow(ts))
		return false;
	t->when = when;
	wf_store_relaxed(&t->home, ts);
	ts->heap[ts->n] = (struct timer_entry){ when, t };
	sift_up(ts, ts->n++);
	return true;
}

static void
remove_at(struct timers *ts, uint32_t i)
{
	struct timer_entry last = ts->heap[--ts->n];

	wf_store_release(&ts->heap[i].t->home, NULL);
	if (i != ts->n) {
		place(ts, i, last);
		if (i > 0 && ts->heap[(i - 1) / ARITY].when > last.when)
			sift_up(ts, i);
		else
			sift_down(ts, i);
	}
	shrink(ts);
}

void
wf_timer_arm(struct wf_timer *t, int64_t when)
{
	struct p *p = wf_self()->p;
	struct timers *ts;
	bool is_first, ok;

	if (when == INT64_MAX)
		return;
	if (p == NULL)
		p = wf_load_acquire(&wf_sched.all_p[0]);
	ts = &p->timers;
	wf_lock(&ts->lock);
	ok = insert(ts, t, when);
	is_first = ok && t->index == 0;
	if (is_first)
		publish_next(ts);					/* T1 */
	wf_unlock(&ts->lock);
	if (!ok)
		wf_fatal("runtime: out of memory for timers");
	WF_POINT("timer.armed");
	if (is_first)
		wf_wake_poller(when);					/* T2 */
}

bool
wf_timer_disarm(struct wf_timer *t)
{
	for (;;) {
		struct timers *ts = wf_load_acquire(&t->home);

		if (ts == NULL)
			return false;
		wf_lock(&ts->lock);
		if (wf_load_relaxed(&t->home) == ts) {
			bool was_first = t->index == 0;

			remove_at(ts, t->index);
			if (was_first)
				publish_next(ts);
			wf_unlock(&ts->lock);
			return true;
		}
		/* It fired, or went to another heap with its P: look again. */
		wf_unlock(&ts->lock);
	}
}

/* Fires what is due. Returns when the next one is. */
int64_t
wf_timers_run(struct timers *ts, int64_t now, struct gqueue *ready)
{
	int64_t next = wf_load_relaxed(&ts->next);

	if (next > now)
		return next;
	wf_lock(&ts->lock);
	while (ts->n > 0 && ts->heap[0].when <= now) {
		struct wf_timer *t = ts->heap[0].t;
		int64_t again = t->fire(t, now, ready);

		if (again == INT64_MAX) {
			remove_at(ts, 0);
		} else {
			t->when = again;
			ts->heap[0].when = again;
			sift_down(ts, 0);
		}
	}
	publish_next(ts);
	next = wf_load_relaxed(&ts->next);
	wf_unlock(&ts->lock);
	return next;
}

void
wf_timers_check(void)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);
	struct gqueue ready = { 0 };
	int64_t now = wf_os_now();

	for (uint32_t i = 0; i < n; i++)
		(void)wf_timers_run(&wf_load_acquire(&wf_sched.all_p[i])->timers, now, &ready);
	if (ready.head != NULL)
		wf_ready_all(&ready);
}

/* Moves all timers of a P that retires. `to` is P 0's, so the locks are ordered. */
void
wf_timers_move(struct timers *from, struct timers *to)
{
	if (from == to)
		return;
	wf_lock(&to->lock);
	wf_lock(&from->lock);
	for (uint32_t i = 0; i < from->n; i++)
		WF_CHECK(insert(to, from->heap[i].t, from->heap[i].when));
	from->n = 0;
	publish_next(to);	/* before from: wf_timers_next_all() looks at P 0 last */
	publish_next(from);
	wf_unlock(&from->lock);
	wf_unlock(&to->lock);
}

/* When the earliest timer of all Ps is due; INT64_MAX: never. */
int64_t
wf_timers_next_all(void)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);
	int64_t next = INT64_MAX;

	/* P 0 last: timers of a P that retires move there, and must be met before or after. */
	for (uint32_t i = n; i-- > 0;) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);

		next = wf_min(next, wf_load_seqcst(&p->timers.next));	/* T4 */
	}
	return next;
}
