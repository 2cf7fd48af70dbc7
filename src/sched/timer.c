/*
 * Timers in their heaps (timer_heap.h), one per P, each under its own lock. API and lock order:
 * timer.h.
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
#include "sched/timer_heap.h"

void
wf_timers_init(struct timers *ts)
{
	wf_store_relaxed(&ts->next, INT64_MAX);
	wf_store_relaxed(&ts->crowd, 0);
	ts->heap = NULL;
	ts->n = ts->cap = 0;
}

static void
publish_next(struct timers *ts)
{
	wf_store_seqcst(&ts->next, ts->n == 0 ? INT64_MAX : ts->heap[0].when);	/* T1 */
}

/*
 * The same after one was taken away: next can only have grown. Not seq_cst: a thread that sees the
 * old one wakes too early and looks again.
 */
static void
publish_later(struct timers *ts)
{
	wf_store_release(&ts->next, ts->n == 0 ? INT64_MAX : ts->heap[0].when);
}

/* Where the caller's timers go: to the heap of its P; without one, to that of P 0. */
static struct timers *
own_timers(void)
{
	struct p *p = wf_self()->p;

	return &(p != NULL ? p : wf_load_acquire(&wf_sched.all_p[0]))->timers;
}

void
wf_timer_arm(struct wf_timer *t, int64_t when)
{
	struct timers *ts;
	bool is_first, ok;
	int tries = 0;

	if (when == INT64_MAX)
		return;
	ts = own_timers();
	do {
		wf_lock(&ts->lock);
		ok = timer_heap_put(ts, t, when);
		is_first = ok && t->index == 0;
		if (is_first)
			publish_next(ts);				/* T1 */
		wf_unlock(&ts->lock);
	} while (!ok && wf_be_patient(&tries));
	if (!ok)
		wf_fatal("runtime: out of memory for timers");
	WF_POINT("timer.armed");
	if (is_first)
		wf_wake_poller(when);					/* T2 */
}

struct timers *
wf_timer_hold(struct wf_timer *t)
    WF_HANDS_OVER("the heap's lock, to wf_timer_disarm_held() and wf_timer_put_off()")
{
	for (;;) {
		/* seq_cst: a scope that was marked looks whether it is armed (C4). */
		struct timers *ts = wf_load_seqcst(&t->home);

		if (ts == NULL)
			return NULL;
		wf_lock(&ts->lock);
		if (wf_load_relaxed(&t->home) == ts)
			return ts;
		/* It fired, or went to another heap with its P: look again. */
		wf_unlock(&ts->lock);
	}
}

struct timers *
wf_timer_hold_here(struct wf_timer *t)
{
	/* Relaxed: a hint, wf_timer_hold() decides. A P that retires may still take it away. */
	return wf_load_relaxed(&t->home) == own_timers() ? wf_timer_hold(t) : NULL;
}

void
wf_timer_disarm_held(struct timers *ts, struct wf_timer *t)
    WF_HANDS_OVER("wf_timer_hold() took the heap's lock")
{
	bool was_first = t->index == 0;

	timer_heap_remove(ts, t->index);
	if (was_first)
		publish_later(ts);
	wf_unlock(&ts->lock);
}

void
wf_timer_put_off(struct timers *ts, struct wf_timer *t, int64_t when)
    WF_HANDS_OVER("wf_timer_hold() took the heap's lock")
{
	bool was_first = t->index == 0;
	bool is_earlier = when < wf_load_relaxed(&ts->next);	/* we hold the lock */

	timer_heap_put_off(ts, t->index, when);
	if (is_earlier)
		publish_next(ts);					/* T1 */
	else if (was_first)
		publish_later(ts);
	wf_unlock(&ts->lock);
	WF_POINT("timer.put_off");
	if (is_earlier)
		wf_wake_poller(when);					/* T2 */
}

bool
wf_timer_disarm(struct wf_timer *t)
{
	struct timers *ts = wf_timer_hold(t);

	if (ts == NULL)
		return false;
	wf_timer_disarm_held(ts, t);
	return true;
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
			timer_heap_remove(ts, 0);
		} else {
			timer_heap_put_off(ts, 0, again);
		}
	}
	publish_next(ts);
	wf_store_relaxed(&ts->crowd, timer_heap_crowd(ts));
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

/* With both locks held. False: there is no memory, and nothing has been moved. */
static bool
move_locked(struct timers *from, struct timers *to)
    WF_HOLDS(from->lock, to->lock)
{
	if (!timer_heap_reserve(to, from->n))
		return false;
	for (uint32_t i = 0; i < from->n; i++)
		WF_CHECK(timer_heap_put(to, from->heap[i].t, from->heap[i].when));
	from->n = 0;
	publish_next(to);	/* before from: wf_timers_next_all() looks at P 0 last */
	publish_next(from);
	return true;
}

/* Moves all timers of a P that retires. `to` is P 0's, so the locks are ordered. */
void
wf_timers_move(struct timers *from, struct timers *to)
{
	int tries = 0;
	bool ok;

	if (from == to)
		return;
	do {
		wf_lock(&to->lock);
		wf_lock(&from->lock);
		ok = move_locked(from, to);
		wf_unlock(&from->lock);
		wf_unlock(&to->lock);
	} while (!ok && wf_be_patient(&tries));
	if (!ok)
		wf_fatal("runtime: out of memory for timers");
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

/*
 * Until when to sleep instead of until the earliest timer is due: that, unless it is a moment only,
 * and others are due in the next. README.md, "Timers that share a wake".
 */
int64_t
wf_timers_share(int64_t until, int64_t now)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);

	if (until - now >= TIMER_SLACK_NS)
		return until;
	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);
		int64_t crowd = wf_load_relaxed(&p->timers.crowd);

		if (crowd > until && crowd - until <= TIMER_SLACK_NS)
			return crowd;
	}
	return until;
}
