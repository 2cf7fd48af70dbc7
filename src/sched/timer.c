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
#include "sched/kept.h"
#include "sched/panic.h"
#include "sched/sched.h"
#include "sched/timer_heap.h"

#define TIMERS_PATIENCE 64u	/* each end of keeping makes four of one */
#define TIMERS_PATIENCE_MAX 4096u

void
wf_timers_init(struct timers *ts)
{
	wf_store_relaxed(&ts->next, INT64_MAX);
	wf_store_relaxed(&ts->crowd, 0);
	ts->patience = ts->left = TIMERS_PATIENCE;
	ts->heap = NULL;
	ts->n = ts->n_sorted = ts->cap = 0;
}

/* ---- The lock, which the heap's P keeps as long as nobody else comes (kept.h) ---- */

/* Where the P has noted that it holds the lock, which it keeps; NULL: it is held as any is. */
typedef _Atomic(struct wf_lock *) *timers_hold;

static WF_ALWAYS_INLINE timers_hold
timers_lock(struct timers *ts)
    WF_TAKES(ts->lock) WF_HANDS_OVER("wf_kept_try() takes it")
{
	timers_hold at = wf_kept_try(&ts->lock, KEPT_PLACE_TIMERS);

	if (wf_unlikely(at == NULL) && wf_unlikely(wf_kept_take(&ts->lock)))
		ts->patience = (uint16_t)wf_min(4u * ts->patience, TIMERS_PATIENCE_MAX);
	return at;
}

/* at is what timers_lock() has said. */
static WF_ALWAYS_INLINE void
timers_unlock(struct timers *ts, timers_hold at)
    WF_GIVES_BACK(ts->lock) WF_HANDS_OVER("it stands at a place of the P")
{
	if (wf_likely(at != NULL)) {
		wf_store_release(at, NULL);				/* Z6; J1 */
	} else if (wf_p_number() == 0 || &wf_self()->p->timers != ts) {
		ts->left = ts->patience;
		wf_unlock(&ts->lock);
	} else if (--ts->left == 0) {
		ts->left = ts->patience;
		wf_kept_begin(&ts->lock);
	} else {
		wf_unlock(&ts->lock);
	}
}

/* The same, when it is not known how the lock was taken. */
static void
timers_give_back(struct timers *ts)
    WF_GIVES_BACK(ts->lock) WF_HANDS_OVER("timers_unlock() gives it back")
{
	timers_hold at = &wf_kept[wf_p_number()].held[KEPT_PLACE_TIMERS];

	timers_unlock(ts, wf_load_relaxed(at) == &ts->lock ? at : NULL);	/* our own */
}

static void
publish_next(struct timers *ts)
{
	wf_store_seqcst(&ts->next, timer_heap_first(ts));	/* T1 */
}

/*
 * The same after one was taken away: next can only have grown. Not seq_cst: a thread that sees the
 * old one wakes too early and looks again.
 */
static void
publish_later(struct timers *ts)
{
	wf_store_release(&ts->next, timer_heap_first(ts));
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
	timers_hold at;

	if (when == INT64_MAX)
		return;
	ts = own_timers();
	do {
		at = timers_lock(ts);
		ok = timer_heap_put(ts, t, when);
		is_first = ok && when < wf_load_relaxed(&ts->next);
		if (is_first)
			wf_store_seqcst(&ts->next, when);		/* T1 */
		timers_unlock(ts, at);
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
		(void)timers_lock(ts);
		if (wf_load_relaxed(&t->home) == ts)
			return ts;
		/* It fired, or went to another heap with its P: look again. */
		timers_give_back(ts);
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
	bool was_first = t->when <= wf_load_relaxed(&ts->next);

	timer_heap_remove(ts, t->index);
	if (was_first)
		publish_later(ts);
	timers_give_back(ts);
}

void
wf_timer_put_off(struct timers *ts, struct wf_timer *t, int64_t when)
    WF_HANDS_OVER("wf_timer_hold() took the heap's lock")
{
	bool was_first = t->when <= wf_load_relaxed(&ts->next);
	bool is_earlier = when < wf_load_relaxed(&ts->next);	/* we hold the lock */

	timer_heap_put_off(ts, t->index, when);
	if (is_earlier)
		publish_next(ts);					/* T1 */
	else if (was_first)
		publish_later(ts);
	timers_give_back(ts);
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
	timers_hold at;

	if (next > now)
		return next;
	at = timers_lock(ts);
	timer_heap_settle(ts);
	while (ts->n > 0 && ts->heap[0].when <= now) {
		struct wf_timer *t = ts->heap[0].t;
		int64_t again = t->fire(t, now, ready);

		if (again == INT64_MAX) {
			timer_heap_remove(ts, 0);
		} else {
			timer_heap_put_off(ts, 0, again);
		}
	}
	publish_later(ts);	/* what is left is due after now */
	wf_store_relaxed(&ts->crowd, timer_heap_crowd(ts));
	next = wf_load_relaxed(&ts->next);
	timers_unlock(ts, at);
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
	from->n = from->n_sorted = 0;
	publish_next(to);	/* before from: wf_timers_next_all() looks at P 0 last */
	publish_next(from);
	return true;
}

/* Moves all timers of a P that retires. `to` is P 0's, so the locks are ordered. */
void
wf_timers_move(struct timers *from, struct timers *to)
{
	timers_hold at;
	int tries = 0;
	bool ok;

	if (from == to)
		return;
	do {
		at = timers_lock(to);
		(void)wf_kept_take(&from->lock);	/* nobody keeps it from here on */
		ok = move_locked(from, to);
		wf_unlock(&from->lock);
		timers_unlock(to, at);
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

	if (until <= now)
		return until;	/* it is late already */
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
