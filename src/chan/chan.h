/*
 * The channel as the layers above it (time, scope) and chan/ itself see it. How it
 * works, and why it may: README.md. Knows nothing of timers and scopes.
 *
 * Functions here run between wf_enter() and wf_leave(), unless they say otherwise.
 */
#ifndef WEFT_CHAN_CHAN_H
#define WEFT_CHAN_CHAN_H

#include <weft/chan.h>
#include "chan/taken.h"
#include "sched/kept.h"

/* Flags of wf_chan_new(). */
#define WF_CHAN_TIMER	0x1u	/* a timer's: weft_chan_len() and weft_chan_cap() tell 0 */

/*
 * Life: made with one reference, freed by the unref of the last. Whoever calls an
 * operation on it keeps it alive until the operation returns.
 *
 *   c  constant after wf_chan_new()
 *   l  under lock
 *   n  written under lock, read by anyone: named edges N1, N2 (README.md, "Looking
 *      without the lock")
 *   x  rules at the field
 */
struct weft_chan {
	struct wf_lock lock;
	_Atomic uint32_t refs;		/* x  see weft_chan_ref() */
	_Atomic bool closed;		/* n  never becomes false again */
	_Atomic bool has_sender;	/* n  sendq is not empty */
	_Atomic bool has_receiver;	/* n  recvq is not empty */
	uint8_t flags;			/* c  WF_CHAN_ */
	uint16_t user;			/* l  number of the P that had the lock last; 0: none */
	uint16_t left;			/* l  its locks until it keeps the channel, counted down */
	_Atomic size_t count;		/* n  elements in the ring, <= cap */
	size_t cap;			/* c */
	size_t elem_size;		/* c */
	size_t take_at;			/* l  index in the ring of the oldest element */
	size_t put_at;			/* l  index of the next free slot */
	struct waitq recvq;		/* l  oldest first */
	struct waitq sendq;		/* l */
	uint16_t patience;		/* l  where left begins */
	_Alignas(16) unsigned char ring[];	/* l  cap elements */
};

/*
 * weft_chan_new() with flags. NULL when out of memory or when the size overflows. May be
 * called outside the runtime as well.
 */
struct weft_chan *wf_chan_new(size_t elem_size, size_t cap, unsigned flags);

/*
 * Closes c, unless it is closed: then nothing happens. Returns whether it was this call
 * that closed it. Wakes all receivers, then all senders. No lock may be held.
 */
WF_PARKS bool wf_chan_close_quiet(struct weft_chan *c);

/*
 * The same, but those who wait are only taken off and appended to the two lists, which may be one:
 * the caller must soon go through them (taken.h), receivers with c's elem_size, senders with 0.
 * Takes c's lock only, for a moment, and arms nothing: may be called under a scope's lock or the
 * lock of a timer heap.
 */
bool wf_chan_close_take(struct weft_chan *c, struct waitq *receivers, struct waitq *senders);

/*
 * Sends a copy of one element if that can be done at once: 0 sent, -EPIPE closed,
 * -ETIMEDOUT not now. A goroutine to wake is appended to ready. Takes c's lock only, arms
 * nothing and readies nobody: for a timer's fire(), under its heap's lock.
 */
int wf_chan_trysend_collect(struct weft_chan *c, const void *elem, struct gqueue *ready);

/*
 * Throws away what is in the ring and returns how many elements that were (a timer that is
 * stopped: > 0 means due but not received). Senders that wait are left where they are; the
 * next receives serve them. Takes c's lock only: may be called under a timer's lock.
 */
size_t wf_chan_drain(struct weft_chan *c);

/*
 * Does nobody wait on c, and has the caller its only reference? Then it may be freed as it is:
 * there is nobody to tell. Who has left its queue has unlocked, too, if the lock is free when it
 * is looked at last.
 */
static inline bool
wf_chan_is_forgotten(const struct weft_chan *c)
{
	return wf_load_acquire(&c->refs) == 1 &&			/* N3 */
	    !wf_load_acquire(&c->has_receiver) &&			/* N2 */
	    !wf_load_acquire(&c->has_sender) &&				/* N2 */
	    !wf_load_acquire(&c->closed) &&				/* N1 */
	    wf_kept_is_free(&c->lock);					/* L1 */
}

/* What wf_chan_drain() would return, without doing it. Needs no lock, may be stale. */
static inline size_t
wf_chan_count_racy(const struct weft_chan *c)
{
	return wf_load_relaxed(&c->count);
}

#endif /* WEFT_CHAN_CHAN_H */
