/*
 * What ThreadSanitizer is told of channels in a program that has it (base/race.h), edge by edge as
 * the memory model has them. With the channel's lock held, when an element moves:
 *
 *   unbuffered: sender and receiver meet; each comes before what the other does next
 *   buffered: element k stands in slot k modulo the capacity, also when it goes by it to a receiver
 *       that waits; who sends it and who receives it come before who uses the slot next
 *
 * One of the two may be parked. Then the other speaks for it, on its fiber: nobody else runs it,
 * for it is claimed and not readied yet. Only a goroutine that lives on a foreign thread has no
 * fiber of its own: it hands over all that it knows when it begins, and takes over all that who
 * woke it knows.
 */
#ifndef WEFT_CHAN_TOLD_H
#define WEFT_CHAN_TOLD_H

#include "chan/chan.h"

/* Elements of no size share so many slots at most. */
#define TOLD_SLOTS 4096u

/* Bytes that a channel has for its slots' sake, beside its elements. */
static inline size_t
told_bytes(size_t elem_size, size_t cap)
{
	return wf_race_told() && elem_size == 0 ? wf_min(cap, (size_t)TOLD_SLOTS) : 0;
}

/* The sender of elem, or the receiver if elem is NULL, uses slot i of c's ring. */
void wf_told_slot(const struct weft_chan *c, size_t i, const void *elem);
/* The same of w's goroutine: a sender, if sends. */
void wf_told_slot_of(const struct weft_chan *c, size_t i, const struct waiter *w, bool sends);
/* The caller sends elem to w's goroutine, or receives from it if elem is NULL. */
void wf_told_meet(const struct weft_chan *c, const struct waiter *w, const void *elem);

/* Around an operation, between wf_enter() and wf_leave(). */
void wf_told_begin(void);
void wf_told_end(void);

#endif /* WEFT_CHAN_TOLD_H */
