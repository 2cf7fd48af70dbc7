/*
 * weft_timer: a timer of the scheduler that sends into a channel or starts a goroutine.
 * Who may touch what, and why stop cannot miss a value: README.md.
 * Knows nothing of heaps.
 */
#include <weft/time.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "chan/chan.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sched/park.h"
#include "sched/self.h"
#include "sched/timer.h"
#include "time/beat.h"

#include <stdlib.h>

/* How soon a firing for which there was no memory is tried again. */
#define RETRY_NS 1000000

/*
 * Life: weft_timer_new() to weft_timer_free(). The channel may live longer, if the user took
 * a reference.
 *
 *   c  constant after weft_timer_new()
 *   f  under the heap's lock while armed; else under ops
 */
struct weft_timer {
	struct wf_timer heap;	/* armed under ops */
	struct wf_lock ops;	/* whoever finds it not armed; fire never takes it */
	int64_t due;		/* f  when it fires next; what the channel gets */
	int64_t period;		/* f */
	bool is_pending;	/* f  has something to deliver yet, if only at the end of time */
	weft_chan *chan;	/* c  or NULL: has a function */
	void (*fn)(void *);	/* c */
	void *arg;		/* c */
	uintptr_t created_pc;	/* c  who made it, for "created by" of its goroutines */
};

/* Delivers. False when there is no memory for the goroutine. Takes the channel's lock. */
static bool
deliver(struct weft_timer *t, struct gqueue *ready)
{
	struct wf_go_args args;
	struct g *g;

	if (t->chan != NULL) {
		/* A full ring means that the last value is unread: this one is dropped. */
		wf_chan_trysend_collect(t->chan, &t->due, ready);
		return true;
	}
	wf_race_acquire(t);		/* by whoever comes by: for the new goroutine */
	args = (struct wf_go_args){
	    .fn = t->fn, .arg = t->arg, .caller_pc = t->created_pc, .is_nobodys = true
	};
	g = wf_g_new(&args);
	if (g == NULL)
		return false;
	gqueue_put(ready, g);
	return true;
}

/* The heap calls this, under its lock, and start() for a timer that is due at once. */
static int64_t
fire(struct wf_timer *heap, int64_t now, struct gqueue *ready)
{
	struct weft_timer *t = wf_container_of(heap, struct weft_timer, heap);

	if (!deliver(t, ready))
		return wf_time_after(now, RETRY_NS);
	WF_POINT("timer.delivered");
	t->is_pending = t->period > 0;
	t->due = wf_time_next_beat(t->due, now, t->period);
	return t->due;
}

/* Not armed, under ops. */
static void
start(struct weft_timer *t, int64_t deadline, int64_t period, struct gqueue *ready)
{
	int64_t now = wf_os_now();
	int64_t when;

	wf_race_release(t);
	/* "Now" has no phase of its own: the beats count from here. */
	t->due = deadline <= WEFT_NOW ? now : deadline;
	t->period = period;
	t->is_pending = true;
	/* Not left to the heap: the caller may look at the channel before any heap is looked at. */
	when = t->due <= now ? fire(&t->heap, now, ready) : t->due;
	wf_timer_arm(&t->heap, when);
}

/* T6, while fire is not running. Was there something that nobody had received? */
static bool
take_back(struct weft_timer *t)
{
	return t->chan != NULL && wf_chan_count_racy(t->chan) != 0 && wf_chan_drain(t->chan) > 0;
}

/* Under ops. True if something that was still to come was prevented. */
static bool
stop(struct weft_timer *t)
{
	bool was_pending;

	wf_timer_disarm(&t->heap);					/* T5 */
	was_pending = t->is_pending;
	t->is_pending = false;
	if (take_back(t))						/* T6 */
		was_pending = true;
	return was_pending;
}

/* The same without ops, if it is armed (T7). False: it is not, and nothing has happened. */
static bool
stop_armed(struct weft_timer *t)
{
	struct timers *held = wf_timer_hold(&t->heap);

	if (held == NULL)
		return false;
	t->is_pending = false;
	(void)take_back(t);						/* T6 */
	wf_timer_disarm_held(held, &t->heap);				/* T5 */
	return true;
}

/* A reset without ops, if it is armed at hand and is to be again (T8). False: as above. */
static bool
put_off(struct weft_timer *t, int64_t deadline, int64_t period)
{
	struct timers *held;

	if (deadline == WEFT_FOREVER || deadline <= wf_os_now())
		return false;
	held = wf_timer_hold_here(&t->heap);
	if (held == NULL)
		return false;
	wf_race_release(t);
	(void)take_back(t);						/* T6 */
	t->due = deadline;
	t->period = period;
	wf_timer_put_off(held, &t->heap, deadline);
	return true;
}

weft_timer *
weft_timer_new(int64_t deadline, int64_t period, void (*fn)(void *), void *arg)
{
	struct gqueue ready = {0};
	struct weft_timer *t;

	if (period < 0) {
		wf_enter();
		wf_panic_help("negative period for weft_timer_new",
		    "period is %lld ns, must be 0 (once) or more", (long long)period);
	}
	t = malloc(sizeof(*t));
	if (t == NULL)
		return NULL;
	*t = (struct weft_timer){
		.heap = {.fire = fire},
		.fn = fn,
		.arg = arg,
		.created_pc = (uintptr_t)__builtin_return_address(0),
	};
	if (fn == NULL) {
		t->chan = wf_chan_new(sizeof(int64_t), 1, WF_CHAN_TIMER);
		if (t->chan == NULL) {
			free(t);
			return NULL;
		}
	}
	wf_enter();
	start(t, deadline, period, &ready);	/* without ops: nobody has t yet */
	wf_ready_all(&ready);
	wf_leave();
	return t;
}

weft_chan *
weft_timer_chan(weft_timer *t)
{
	return t != NULL ? t->chan : NULL;
}

bool
weft_timer_stop(weft_timer *t)
{
	bool was_pending;

	wf_enter();
	if (t == NULL)
		wf_panic_help("time: Stop called on uninitialized Timer",
		    "weft_timer_stop: t is NULL; did weft_timer_new() fail?");
	was_pending = stop_armed(t);
	if (!was_pending) {
		wf_lock(&t->ops);
		was_pending = stop(t);
		wf_unlock(&t->ops);
	}
	wf_leave();
	return was_pending;
}

bool
weft_timer_reset(weft_timer *t, int64_t deadline, int64_t period)
{
	struct gqueue ready = {0};
	bool was_pending;

	wf_enter();
	if (t == NULL)
		wf_panic_help("time: Reset called on uninitialized Timer",
		    "weft_timer_reset: t is NULL; did weft_timer_new() fail?");
	if (period < 0)
		wf_panic_help("negative period for weft_timer_reset",
		    "timer %p: period is %lld ns, must be 0 (once) or more", (void *)t,
		    (long long)period);
	if (put_off(t, deadline, period)) {
		wf_leave();
		return true;
	}
	wf_lock(&t->ops);
	was_pending = stop(t);
	start(t, deadline, period, &ready);
	wf_unlock(&t->ops);
	wf_ready_all(&ready);
	wf_leave();
	return was_pending;
}

WF_API_PARKS void
weft_timer_free(weft_timer *t)
{
	weft_chan *chan, *forgotten = NULL;

	if (t == NULL)
		return;
	chan = t->chan;
	wf_enter();
	stop(t);				/* without ops: nobody else may use t any more */
	/* Nothing will ever be sent: whoever waits is told so instead of waiting for ever. */
	if (chan != NULL && !wf_chan_is_forgotten(chan))
		(void)wf_chan_close_quiet(chan);
	else
		forgotten = chan;
	wf_leave();
	if (forgotten != NULL)
		free(forgotten);
	else
		weft_chan_unref(chan);
	free(t);
}
