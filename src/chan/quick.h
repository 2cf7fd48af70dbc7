/*
 * The everyday case of an operation on a channel whose lock is held: R2-R6 and R8 of README.md,
 * where the channel is open, the element is small, and the first who waits, if anybody does, is to
 * be had. The rest is in ops.h. It calls nothing, so a caller that calls
 * nothing either needs no registers of others.
 */
#ifndef WEFT_CHAN_QUICK_H
#define WEFT_CHAN_QUICK_H

#include "chan/ops.h"

/* It is none of those: nothing has happened. Never leaves this folder. */
#define CHAN_RARE (-EINPROGRESS)

/* Is an element copied by a few moves? */
static WF_ALWAYS_INLINE bool
quick_size(size_t size)
{
	return size <= 16 && (1u << size & (1u << 0 | 1u << 4 | 1u << 8 | 1u << 16)) != 0;
}

/*
 * As elem_copy(), for those sizes. By values of their own types: clang makes one call of three
 * copies that differ in their size alone.
 */
static WF_ALWAYS_INLINE void
quick_copy(void *dst, const void *src, size_t size)
{
	if (wf_likely(size == 8)) {
		uint64_t word;

		memcpy(&word, src, 8);
		memcpy(dst, &word, 8);
	} else if (size == 4) {
		uint32_t half;

		memcpy(&half, src, 4);
		memcpy(dst, &half, 4);
	} else if (size == 16) {
		memcpy(dst, src, 16);
	}
}

/* Takes w, the first, off q. */
static WF_ALWAYS_INLINE void
quick_take(struct waitq *q, struct waiter *w)
{
	struct waiter *next = w->next;

	q->head = next;
	if (next != NULL)
		next->prev = NULL;
	else
		q->tail = NULL;
	w->queued = false;
}

/*
 * The first of q that is not stale, or NULL; those before it are dropped. To see that one was
 * claimed costs less than to try.
 */
static WF_ALWAYS_INLINE struct waiter *
quick_first(struct waitq *q, _Atomic bool *has)
{
	struct waiter *w;

	/* Relaxed: it is not older than the lock, and who was claimed stays so. */
	while ((w = q->head) != NULL && !w->solo &&
	    wf_unlikely(wf_load_relaxed(&w->g->wait) != w->ticket)) {
		quick_take(q, w);
		if (q->head == NULL)
			wf_store_release(has, false);			/* N2 */
	}
	return w;
}

/* Claims w, the first of q, and takes it off. False: another has claimed it, and it is still on. */
static WF_ALWAYS_INLINE bool
quick_claim(struct waitq *q, struct waiter *w)
{
	if (wf_likely(w->solo))
		wf_claim_solo(w, (int)w->index);
	else if (!wf_claim_ticket_here(w->g, w->ticket, (int)w->index))
		return false;
	quick_take(q, w);
	w->n = 1;
	return true;
}

/* 0, CHAN_BLOCKS or CHAN_RARE. Whoever is to be readied after the unlock goes to *ret_wake. */
static WF_ALWAYS_INLINE int
quick_send(struct weft_chan *c, const void *elem, struct g **ret_wake)
    WF_HOLDS(c->lock)
{
	size_t count = wf_load_relaxed(&c->count);	/* we hold the lock */
	size_t size = c->elem_size;
	struct waiter *w;

	if (wf_unlikely(wf_load_relaxed(&c->closed)) ||	/* we hold the lock */
	    wf_unlikely(!quick_size(size)))
		return CHAN_RARE;
	w = quick_first(&c->recvq, &c->has_receiver);
	if (w != NULL) {
		if (wf_unlikely(!quick_claim(&c->recvq, w)))
			return CHAN_RARE;
		recvq_taken(c);
		if (w->elem != NULL)
			quick_copy(w->elem, elem, size);		/* R2 */
		*ret_wake = w->g;
		return 0;
	}
	if (wf_unlikely(count == c->cap))
		return CHAN_BLOCKS;					/* R4 */
	quick_copy(ring_slot(c, c->put_at), elem, size);		/* R3 */
	c->put_at = ring_next(c, c->put_at);
	wf_store_release(&c->count, count + 1);				/* N2 */
	return 0;
}

/* 1, CHAN_BLOCKS or CHAN_RARE, as above. */
static WF_ALWAYS_INLINE int
quick_recv(struct weft_chan *c, void *elem, struct g **ret_wake)
    WF_HOLDS(c->lock)
{
	size_t count = wf_load_relaxed(&c->count);	/* we hold the lock */
	size_t size = c->elem_size;
	struct waiter *w;

	if (wf_unlikely(!quick_size(size)))
		return CHAN_RARE;
	w = quick_first(&c->sendq, &c->has_sender);
	if (count != 0) {
		if (wf_unlikely(w != NULL))
			return CHAN_RARE;
		if (elem != NULL)					/* R5 */
			quick_copy(elem, ring_slot(c, c->take_at), size);
		c->take_at = ring_next(c, c->take_at);
		wf_store_release(&c->count, count - 1);			/* N2 */
		return 1;
	}
	if (w == NULL)							/* R8 */
		return wf_load_relaxed(&c->closed) || c->flags != 0 ? CHAN_RARE : CHAN_BLOCKS;
	if (wf_unlikely(!quick_claim(&c->sendq, w)))
		return CHAN_RARE;
	sendq_taken(c);
	if (elem != NULL)
		quick_copy(elem, w->elem, size);			/* R6 */
	*ret_wake = w->g;
	return 1;
}

#endif /* WEFT_CHAN_QUICK_H */
