/*
 * A queue of waiters with a head of one pointer: the last one is found as head->prev. What
 * the objects of this folder embed, because a mutex has room for no more. Each list is under the
 * lock of its object. Knows nothing of parking.
 */
#ifndef WEFT_SYNC_WAITLIST_H
#define WEFT_SYNC_WAITLIST_H

#include "sched/park.h"

struct waitlist {
	struct waiter *head;	/* or NULL. head->prev is the last, whose next is NULL */
};

static inline void
waitlist_put(struct waitlist *l, struct waiter *w)
{
	w->next = NULL;
	if (l->head != NULL) {
		w->prev = l->head->prev;
		l->head->prev->next = w;
		l->head->prev = w;
	} else {
		w->prev = w;
		l->head = w;
	}
	w->queued = true;
}

static inline void
waitlist_put_first(struct waitlist *l, struct waiter *w)
{
	w->next = l->head;
	if (l->head != NULL) {
		w->prev = l->head->prev;
		l->head->prev = w;
	} else {
		w->prev = w;
	}
	l->head = w;
	w->queued = true;
}

/* Takes w off, if it is still on. Returns whether it was. */
static inline bool
waitlist_remove(struct waitlist *l, struct waiter *w)
{
	if (!w->queued)
		return false;
	if (w == l->head)
		l->head = w->next;
	else
		w->prev->next = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else if (l->head != NULL)
		l->head->prev = w->prev;
	w->queued = false;
	return true;
}

static inline struct waiter *
waitlist_take(struct waitlist *l)
{
	struct waiter *w = l->head;

	if (w != NULL)
		waitlist_remove(l, w);
	return w;
}

#endif /* WEFT_SYNC_WAITLIST_H */
