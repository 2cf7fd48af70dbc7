/*
 * Parking and readying: the only way for channels, locks, timers and I/O to block a
 * goroutine and to wake it. Everything here is called between wf_enter() and wf_leave().
 *
 * A wait goes like this (README.md, "Waking", W1-W6):
 *
 *	lock(&obj->lock);
 *	... it can't go at once ...
 *	r = wf_park_check(deadline, cancellable);	-ETIMEDOUT or -ECANCELED: don't wait
 *	wf_waiter_init(&w, deadline, cancellable);
 *	waitq_put(&obj->waiters, &w);
 *	r = wf_park_unlock(&obj->lock, reason, deadline, cancellable);
 *	if (r < 0) {					nobody took us off the queue
 *		lock(&obj->lock);
 *		waitq_remove(&obj->waiters, &w);
 *		unlock(&obj->lock);
 *	}
 *
 * and the waker, holding obj->lock:
 *
 *	while ((w = waitq_take(&obj->waiters)) != NULL)
 *		if (wf_claim(w, result))		ours: no timer, cancel or select won
 *			break;
 *	... give it what it waits for: its frame is safe until it is readied ...
 *	unlock(&obj->lock);
 *	if (w != NULL)
 *		wf_ready(w->g);
 *
 * Results are the claimer's; -ETIMEDOUT and -ECANCELED are the scheduler's own.
 */
#ifndef WEFT_SCHED_PARK_H
#define WEFT_SCHED_PARK_H

#include <weft/base.h>
#include "base/race.h"
#include "sched/g.h"
#include "sched/lock.h"
#include "sched/self.h"

/*
 * A goroutine's place in one queue. Lives on its stack. A select has one per case, all
 * with the same ticket, and only one can be claimed.
 */
struct waiter {
	struct waiter *next;	/* under the lock of the object */
	struct waiter *prev;
	struct g *g;		/* constant */
	uint64_t ticket;	/* constant: what g->wait is while this wait lasts */
	const void *object;	/* the channel that it stands at, for debug/reach.c; NULL: another
				 * thing */
	void *elem;		/* the object's own use */
	uint64_t n;		/* the object's own use */
	uint32_t index;		/* the object's own use (select: which case) */
	bool queued;		/* on a queue now */
	bool solo;		/* whoever takes it off its queue is the only possible waker */
	_Atomic bool passed;	/* the object's own use (chan/README.md, edge Y3) */
};

struct waitq {
	struct waiter *head;
	struct waiter *tail;
};

static inline void
waitq_put(struct waitq *q, struct waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail != NULL)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
	w->queued = true;
}

static inline void
waitq_put_first(struct waitq *q, struct waiter *w)
{
	w->prev = NULL;
	w->next = q->head;
	if (q->head != NULL)
		q->head->prev = w;
	else
		q->tail = w;
	q->head = w;
	w->queued = true;
}

/* Takes w off, if it is still on. Returns whether it was. */
static inline bool
waitq_remove(struct waitq *q, struct waiter *w)
{
	if (!w->queued)
		return false;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		q->head = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->queued = false;
	return true;
}

static inline struct waiter *
waitq_take(struct waitq *q)
{
	struct waiter *w = q->head;

	if (w != NULL)
		waitq_remove(q, w);
	return w;
}

/* Can the caller's wait be ended by its scope? */
static inline bool
wf_can_cancel(const struct g *g, bool cancellable)
{
	return cancellable && g->scope != NULL;
}

/* Makes w a place for the caller's next wait (W1). */
static inline void
wf_waiter_init(struct waiter *w, int64_t deadline, bool cancellable)
{
	struct g *g = wf_g();

	w->next = w->prev = NULL;
	w->g = g;
	w->ticket = wf_load_relaxed(&g->wait) + 1;
	w->object = NULL;
	w->elem = NULL;
	w->n = 0;
	w->index = 0;
	w->queued = false;
	wf_store_relaxed(&w->passed, false);	/* nobody else sees w yet */
	w->solo = deadline == WEFT_FOREVER && !wf_can_cancel(g, cancellable);
}

int wf_park_check_slow(struct g *g, int64_t deadline, bool cancellable);

/*
 * May the caller wait at all? 0, or -ECANCELED (its scope is cancelled), or -ETIMEDOUT
 * (the deadline is past). Call it when the operation can't go at once.
 */
static inline int
wf_park_check(int64_t deadline, bool cancellable)
{
	struct g *g = wf_g();

	if (wf_likely(deadline == WEFT_FOREVER && !wf_can_cancel(g, cancellable)))
		return 0;
	return wf_park_check_slow(g, deadline, cancellable);
}

/* As wf_claim() for a known ticket, from timers and cancellation. */
bool wf_claim_ticket(struct g *g, uint64_t ticket, int result);

/* The same inline. */
static WF_ALWAYS_INLINE bool
wf_claim_ticket_here(struct g *g, uint64_t ticket, int result)
{
	/*
	 * W4: acq_rel. Acquire pairs with the publish in the commit: the goroutine's frame is
	 * complete. Exactly one claimer of a ticket succeeds.
	 */
	if (!wf_cas_acqrel(&g->wait, &ticket, ticket + 1))
		return false;
	g->wait_result = result;
	return true;
}

/* wf_claim() of one that is solo: the caller, who holds the object's lock, always gets it. */
static WF_ALWAYS_INLINE void
wf_claim_solo(struct waiter *w, int result)
{
	wf_store_relaxed(&w->g->wait, w->ticket + 1);
	w->g->wait_result = result;
}

/*
 * Decides who wakes w's goroutine (W4). True: it is the caller, who must soon call
 * wf_ready(w->g); until then w and what it points to stay valid. Needs the object's lock.
 */
static inline bool
wf_claim(struct waiter *w, int result)
{
	if (wf_unlikely(!w->solo))
		return wf_claim_ticket(w->g, w->ticket, result);
	/* The object's lock, which the caller holds, is all the exclusion there need be. */
	wf_claim_solo(w, result);
	return true;
}

/*
 * Waits until claimed (W2, W3). unlock(arg) is called when the goroutine is safely off its
 * stack; it may be NULL. Returns the claimer's result, or -ETIMEDOUT, or -ECANCELED.
 * The caller has called wf_park_check() and queued its waiters, with wf_waiter_init().
 */
WF_PARKS int wf_park(void (*unlock)(void *), void *arg, enum wf_wait_reason reason,
    int64_t deadline, bool cancellable);

/* wf_park() that releases a lock. */
static inline int
wf_park_unlock(struct wf_lock *l, enum wf_wait_reason reason, int64_t deadline, bool cancellable)
    WF_GIVES_BACK(l) WF_HANDS_OVER("the commit unlocks it, on the stack that comes next")
{
	return wf_park(NULL, l, reason, deadline, cancellable);
}

/* The same for what users know as a mutex: metrics count the wait. Not cancellable. */
WF_PARKS int wf_park_for_lock(struct wf_lock *l, enum wf_wait_reason reason, int64_t deadline)
    WF_GIVES_BACK(l);

/* Makes a claimed goroutine runnable: next on this P, or through the global queue when the
 * caller has no P (W5). Holds no object's lock. */
void wf_ready(struct g *g);

/* All of q, oldest first. */
void wf_ready_all(struct gqueue *q);

/*
 * Around an internal call that will block the thread: between them no scheduler state may be
 * touched, and the goroutine may be on another P, but not on another thread, until the end.
 */
void wf_blocking_begin(void);
WF_PARKS void wf_blocking_end(void);

/*
 * May the holder of a lock be about to let it go? True if others run on another P and CPU, and
 * nothing waits to run on ours, so that a short spin may be cheaper than a park. A hint.
 */
bool wf_can_spin(void);

/* 32 random bits from this thread's generator. */
uint32_t wf_rand_fast(void);

/* Lets others run. */
WF_PARKS void wf_yield(void);

/*
 * Ends every cancellable wait of g with -ECANCELED, if it is in one. Under the lock of g's
 * scope, after the scope has been marked cancelled. The goroutine is put on q for wf_ready_all.
 */
void wf_cancel_wait(struct g *g, struct gqueue *q);

#endif /* WEFT_SCHED_PARK_H */
