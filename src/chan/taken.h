/*
 * Waiters that a set or a close has taken off their object, all at once, and who are now its own to
 * go through without a lock. README.md, "Many waiters at once", Y1-Y4. Knows no objects.
 */
#ifndef WEFT_CHAN_TAKEN_H
#define WEFT_CHAN_TAKEN_H

#include "sched/park.h"

/*
 * Y2. Goes through up to max of list: those that can be claimed go on ready, told by n = 0, and
 * where they wait for an element it is zeroed, elem_size bytes. Takes them off list.
 */
void wf_taken_release(struct waitq *list, size_t elem_size, size_t max, struct gqueue *ready);

/* The whole list, readied too, with pauses for the monitor between batches. No lock may be held. */
WF_PARKS void wf_taken_release_all(struct waitq *list, size_t elem_size);

/* Y4. w was taken, and its wait has ended otherwise: until whoever has it has passed it. */
WF_PARKS void wf_taken_await_pass(struct waiter *w);

/* Y1. Moves all of from to the end of to. */
static inline void
waitq_append(struct waitq *to, struct waitq *from)
{
	if (from->head == NULL)
		return;
	if (to->tail != NULL) {
		to->tail->next = from->head;
		from->head->prev = to->tail;
	} else {
		to->head = from->head;
	}
	to->tail = from->tail;
	from->head = from->tail = NULL;
}

#endif /* WEFT_CHAN_TAKEN_H */
