/*
 * One operation on one locked channel, as the plain calls and select share it: the steps R1-R8
 * of README.md, without the waiting. Knows nothing of deadlines.
 */
#ifndef WEFT_CHAN_OPS_H
#define WEFT_CHAN_OPS_H

#include <errno.h>
#include <string.h>
#include "base/assert.h"
#include "chan/chan.h"
#include "chan/told.h"

/* Not now: the caller may wait. Never leaves this folder. */
#define CHAN_BLOCKS (-EAGAIN)

/* The user's const element in a field that also carries the address to write to. */
#define WF_UNCONST(p) ((void *)(uintptr_t)(p))

/* A constant size makes a few moves of what would be a call. */
static WF_ALWAYS_INLINE void
elem_copy(void *dst, const void *src, size_t size)
{
	switch (size) {
	case 0:
		break;
	case 4:
		memcpy(dst, src, 4);
		break;
	case 8:
		memcpy(dst, src, 8);
		break;
	case 16:
		memcpy(dst, src, 16);
		break;
	default:
		wf_race_hide();
		memcpy(dst, src, size);
		wf_race_show();
		break;
	}
}

/* dst may be NULL: the receiver does not want the element. */
static inline void
elem_give(void *dst, const void *src, size_t size)
{
	if (dst != NULL)
		elem_copy(dst, src, size);
}

static inline void
elem_zero(void *dst, size_t size)
{
	if (dst == NULL || size == 0)
		return;
	wf_race_hide();
	memset(dst, 0, size);
	wf_race_show();
}

/* ---- What ThreadSanitizer is told (told.h), but for what is told when an element moves ---- */

/* After a receive that returned r >= 0. */
static inline void
chan_told_received(const struct weft_chan *c, void *elem, int r)
{
	if (r == 0)
		wf_race_acquire(&c->closed);
	if (elem != NULL)
		wf_race_writes(elem, c->elem_size);
}

/* ---- Looking without the lock (README.md, L1-L3) ---- */

/* L1. A sender can wait on an empty ring only after a drain, hence both. */
static inline bool
chan_looks_empty(struct weft_chan *c)
{
	return wf_load_acquire(&c->count) == 0 && !wf_load_acquire(&c->has_sender);	/* N2 */
}

static inline bool
chan_looks_full(struct weft_chan *c)
{
	if (c->cap == 0)
		return !wf_load_acquire(&c->has_receiver);		/* N2 */
	return wf_load_acquire(&c->count) == c->cap;			/* N2 */
}

/* -EPIPE, or -ETIMEDOUT if deadline rules out waiting, or CHAN_BLOCKS: take the lock. */
static inline int
chan_look_send(struct weft_chan *c, int64_t deadline)
{
	bool full = deadline <= WEFT_NOW && chan_looks_full(c);		/* L1 */

	WF_POINT("chan.looked");
	if (wf_load_acquire(&c->closed))				/* L2, N1 */
		return -EPIPE;
	return full ? -ETIMEDOUT : CHAN_BLOCKS;
}

/* 0 closed and drained, or -ETIMEDOUT, or CHAN_BLOCKS, as above. */
static inline int
chan_look_recv(struct weft_chan *c, void *elem, int64_t deadline)
{
	if (!chan_looks_empty(c))					/* L1 */
		return CHAN_BLOCKS;
	WF_POINT("chan.looked");
	if (!wf_load_acquire(&c->closed))				/* L2, N1 */
		return deadline <= WEFT_NOW ? -ETIMEDOUT : CHAN_BLOCKS;
	if (wf_load_relaxed(&c->count) != 0)	/* L3: ordered by N1 */
		return CHAN_BLOCKS;
	elem_zero(elem, c->elem_size);
	return 0;
}

/* ---- The lock (sched/kept.h) ---- */

/* Locks in a row by one P before it keeps the channel: each end of that makes four of one. */
#ifndef CHAN_PATIENCE
#define CHAN_PATIENCE 64u
#endif
#define CHAN_PATIENCE_MAX 4096u

/* Where the P has noted that it holds the lock, which it keeps; NULL: it is held as any is. */
typedef _Atomic(struct wf_lock *) *chan_hold;

/* Another P kept c until now. */
static inline void
chan_was_kept(struct weft_chan *c)
{
	c->patience = (uint16_t)wf_min(4u * c->patience, CHAN_PATIENCE_MAX);
}

static WF_ALWAYS_INLINE chan_hold
chan_lock(struct weft_chan *c)
    WF_TAKES(c->lock) WF_HANDS_OVER("wf_kept_try() takes it")
{
	chan_hold at = wf_kept_try(&c->lock, 0);

	if (wf_unlikely(at == NULL) && wf_unlikely(wf_kept_take(&c->lock)))
		chan_was_kept(c);
	return at;
}

/* Is it time that the caller's P keeps c? */
static WF_ALWAYS_INLINE bool
chan_is_due_to_keep(struct weft_chan *c)
{
	uint32_t number = wf_p_number();

	if (wf_likely(c->user == number))
		return --c->left == 0;
	c->user = (uint16_t)number;
	c->left = c->patience;
	return false;
}

/* at is what chan_lock() has said. The last touch of c. */
static WF_ALWAYS_INLINE void
chan_unlock(struct weft_chan *c, chan_hold at)
    WF_GIVES_BACK(c->lock) WF_HANDS_OVER("it stands at a place of the P")
{
	if (wf_likely(at != NULL))
		wf_store_release(at, NULL);				/* Z6; J1 */
	else if (wf_unlikely(chan_is_due_to_keep(c)))
		wf_kept_begin(&c->lock);
	else
		wf_unlock(&c->lock);
}

/* wf_park() that releases c's lock. */
static inline int
chan_park(struct weft_chan *c, enum wf_wait_reason reason, int64_t deadline)
    WF_GIVES_BACK(c->lock) WF_HANDS_OVER("the commit unlocks it, on the stack that comes next")
{
	return wf_park(wf_kept_give_back, &c->lock, reason, deadline, /* cancellable */ true);
}

/* ---- With the lock ---- */

/* 0: yes. -ETIMEDOUT or -ECANCELED: no. Reads a clock for a deadline that is a time only. */
static inline int
chan_may_wait(int64_t deadline)
{
	return deadline <= WEFT_NOW ? -ETIMEDOUT : wf_park_check(deadline, true);
}

static inline void *
ring_slot(struct weft_chan *c, size_t i)
{
	return c->ring + i * c->elem_size;
}

static inline size_t
ring_next(const struct weft_chan *c, size_t i)
{
	return i + 1 == c->cap ? 0 : i + 1;
}

static inline void
sendq_put(struct weft_chan *c, struct waiter *w)
{
	w->object = c;
	waitq_put(&c->sendq, w);
	wf_store_release(&c->has_sender, true);				/* N2 */
}

static inline void
recvq_put(struct weft_chan *c, struct waiter *w)
{
	w->object = c;
	waitq_put(&c->recvq, w);
	wf_store_release(&c->has_receiver, true);			/* N2 */
}

/* After something was taken off a queue. */
static inline void
sendq_taken(struct weft_chan *c)
{
	if (c->sendq.head == NULL)
		wf_store_release(&c->has_sender, false);		/* N2 */
}

static inline void
recvq_taken(struct weft_chan *c)
{
	if (c->recvq.head == NULL)
		wf_store_release(&c->has_receiver, false);		/* N2 */
}

/*
 * Takes w off q, of its own goroutine's will. True: a close has it on its list, and must have
 * passed it before its frame may go (Y4).
 */
static inline bool
chan_remove_locked(struct weft_chan *c, struct waitq *q, struct waiter *w)
    WF_HOLDS(c->lock)
{
	if (w->queued && wf_load_relaxed(&c->closed))	/* we hold the lock */
		return true;
	waitq_remove(q, w);
	return false;
}

/* The oldest waiter that is still to be had, now ours; or NULL. Stale ones are dropped. */
static inline struct waiter *
claim_oldest(struct waitq *q)
{
	struct waiter *w;

	while ((w = waitq_take(q)) != NULL)
		if (wf_claim(w, (int)w->index))
			break;
	return w;
}

static inline struct waiter *
claim_sender(struct weft_chan *c)
{
	struct waiter *w;

	if (c->sendq.head == NULL)
		return NULL;
	w = claim_oldest(&c->sendq);
	sendq_taken(c);
	return w;
}

static inline struct waiter *
claim_receiver(struct weft_chan *c)
{
	struct waiter *w;

	if (c->recvq.head == NULL)
		return NULL;
	w = claim_oldest(&c->recvq);
	recvq_taken(c);
	return w;
}

/* R2, told. The ring is empty: it does not matter at which slot it begins. */
static inline void
chan_told_handed(struct weft_chan *c, const void *elem, const struct waiter *w)
    WF_HOLDS(c->lock)
{
	if (c->cap == 0) {
		wf_told_meet(c, w, elem);
		return;
	}
	wf_told_slot(c, c->put_at, elem);
	wf_told_slot_of(c, c->put_at, w, false);
	c->take_at = c->put_at = ring_next(c, c->put_at);
}

/*
 * R1-R4: 0, -EPIPE or CHAN_BLOCKS. Whoever is to be readied after the unlock goes to *ret_wake.
 * told: base/race.h; where it is the constant false, none of it is there.
 */
static WF_ALWAYS_INLINE int
chan_send_locked(struct weft_chan *c, const void *elem, struct g **ret_wake, bool told)
    WF_HOLDS(c->lock)
{
	size_t count = wf_load_relaxed(&c->count);	/* we hold the lock */
	struct waiter *w;

	if (wf_unlikely(wf_load_relaxed(&c->closed)))	/* we hold the lock */
		return -EPIPE;				/* R1 */

	w = claim_receiver(c);
	if (w != NULL) {				/* R2 */
		elem_give(w->elem, elem, c->elem_size);
		w->n = 1;
		*ret_wake = w->g;
		if (wf_race_told() && told)
			chan_told_handed(c, elem, w);
		return 0;
	}

	if (count < c->cap) {				/* R3 */
		elem_copy(ring_slot(c, c->put_at), elem, c->elem_size);
		if (wf_race_told() && told)
			wf_told_slot(c, c->put_at, elem);
		c->put_at = ring_next(c, c->put_at);
		wf_store_release(&c->count, count + 1);	/* N2 */
		return 0;
	}
	return CHAN_BLOCKS;				/* R4 */
}

/* R5: takes the oldest of the ring, which is not empty, and lets a sender in. */
static WF_ALWAYS_INLINE void
ring_recv_locked(struct weft_chan *c, void *elem, struct g **ret_wake, bool told)
    WF_HOLDS(c->lock)
{
	struct waiter *w;

	elem_give(elem, ring_slot(c, c->take_at), c->elem_size);
	if (wf_race_told() && told)
		wf_told_slot(c, c->take_at, NULL);
	c->take_at = ring_next(c, c->take_at);

	w = claim_sender(c);
	if (w != NULL) {
		elem_copy(ring_slot(c, c->put_at), w->elem, c->elem_size);
		if (wf_race_told() && told)
			wf_told_slot_of(c, c->put_at, w, true);
		c->put_at = ring_next(c, c->put_at);
		w->n = 1;
		*ret_wake = w->g;
	} else {
		wf_store_release(&c->count, wf_load_relaxed(&c->count) - 1);	/* N2 */
	}
}

/* R5-R8: 1, 0 or CHAN_BLOCKS; *ret_wake as above. */
static WF_ALWAYS_INLINE int
chan_recv_locked(struct weft_chan *c, void *elem, struct g **ret_wake, bool told)
    WF_HOLDS(c->lock)
{
	struct waiter *w;

	if (wf_load_relaxed(&c->count) > 0) {		/* we hold the lock */
		ring_recv_locked(c, elem, ret_wake, told);	/* R5 */
		return 1;
	}

	w = claim_sender(c);
	if (w != NULL) {				/* R6 */
		elem_give(elem, w->elem, c->elem_size);
		w->n = 1;
		*ret_wake = w->g;
		if (wf_race_told() && told)
			wf_told_meet(c, w, NULL);
		return 1;
	}

	if (wf_load_relaxed(&c->closed)) {		/* R7; we hold the lock */
		elem_zero(elem, c->elem_size);
		return 0;
	}
	return CHAN_BLOCKS;				/* R8 */
}

/* ---- Shared between chan.c and select.c, inside the runtime ---- */

WF_PARKS int wf_chan_send(struct weft_chan *c, const void *elem, int64_t deadline);
WF_PARKS int wf_chan_recv(struct weft_chan *c, void *elem, int64_t deadline);

/* Waits for nothing but the deadline or the scope. */
WF_PARKS int wf_chan_wait_nil(enum wf_wait_reason reason, int64_t deadline);

/*
 * Sorts order[0..n), indices of cases, by the address of their channel. Equal ones keep no
 * order, but nothing except the addresses is looked at (README.md, "Uniform").
 */
void wf_select_sort(uint32_t *order, uint32_t n, const weft_case *cases);

#endif /* WEFT_CHAN_OPS_H */
