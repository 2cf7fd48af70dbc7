/*
 * The heap of timers, 4-ary: the data structure alone, all of it under the lock of its timers.
 *
 * The key stands beside the pointer, so that sifting does not touch the timers. A timer knows
 * its index, so that disarming is O(log n) and leaves nothing behind (Go: lazy, zombies). Why not a
 * wheel: README.md, "Timers and the poller"; measured by bench/wheel.c.
 *
 * The newest few stand behind the heap, as they came, from n_sorted on: most timers are stopped
 * soon after they were set, and those never travel through it. They are sorted in when there are
 * more, and before anything fires.
 */
#ifndef WEFT_SCHED_TIMER_HEAP_H
#define WEFT_SCHED_TIMER_HEAP_H

#include "sched/sched.h"

#include <stdlib.h>

#define TIMER_HEAP_ARITY 4u
#define TIMER_HEAP_MIN 64u
#define TIMER_HEAP_NEW 8u	/* so many are not sorted in */

struct timer_entry {
	int64_t when;
	struct wf_timer *t;
};

static inline void
timer_heap_place(struct timers *ts, uint32_t i, struct timer_entry e)
{
	ts->heap[i] = e;
	e.t->index = i;
}

static inline void
timer_heap_sift_up(struct timers *ts, uint32_t i)
{
	struct timer_entry e = ts->heap[i];

	while (i > 0) {
		uint32_t parent = (i - 1) / TIMER_HEAP_ARITY;

		if (ts->heap[parent].when <= e.when)
			break;
		timer_heap_place(ts, i, ts->heap[parent]);
		i = parent;
	}
	timer_heap_place(ts, i, e);
}

static inline void
timer_heap_sift_down(struct timers *ts, uint32_t i)
{
	struct timer_entry e = ts->heap[i];

	for (;;) {
		uint32_t first = i * TIMER_HEAP_ARITY + 1, best = first;

		if (first >= ts->n_sorted)
			break;
		for (uint32_t c = first + 1; c < first + TIMER_HEAP_ARITY && c < ts->n_sorted; c++)
			if (ts->heap[c].when < ts->heap[best].when)
				best = c;
		if (ts->heap[best].when >= e.when)
			break;
		timer_heap_place(ts, i, ts->heap[best]);
		i = best;
	}
	timer_heap_place(ts, i, e);
}

static inline bool
timer_heap_grow(struct timers *ts)
{
	uint32_t cap = ts->cap == 0 ? TIMER_HEAP_MIN : ts->cap * 2;
	struct timer_entry *heap = realloc(ts->heap, cap * sizeof(*heap));

	if (heap == NULL)
		return false;
	ts->heap = heap;
	ts->cap = cap;
	return true;
}

/* Makes room for n more, so that they can be put. */
static inline bool
timer_heap_reserve(struct timers *ts, uint32_t n)
{
	while (ts->cap - ts->n < n)
		if (!timer_heap_grow(ts))
			return false;
	return true;
}

/* Gives memory back after a burst. A realloc that fails leaves what is there. */
static inline void
timer_heap_shrink(struct timers *ts)
{
	uint32_t cap = ts->cap / 2;
	struct timer_entry *heap;

	if (ts->cap <= 4096 || ts->n > ts->cap / 8)
		return;
	heap = realloc(ts->heap, cap * sizeof(*heap));
	if (heap != NULL) {
		ts->heap = heap;
		ts->cap = cap;
	}
}

/* Sorts the newest in. */
static inline void
timer_heap_settle(struct timers *ts)
{
	while (ts->n_sorted < ts->n) {
		ts->n_sorted++;
		timer_heap_sift_up(ts, ts->n_sorted - 1);
	}
}

/* When the earliest is due; INT64_MAX: there is none. */
static inline int64_t
timer_heap_first(const struct timers *ts)
{
	int64_t first = ts->n_sorted == 0 ? INT64_MAX : ts->heap[0].when;

	for (uint32_t i = ts->n_sorted; i < ts->n; i++)
		first = wf_min(first, ts->heap[i].when);
	return first;
}

static inline bool
timer_heap_put(struct timers *ts, struct wf_timer *t, int64_t when)
{
	if (ts->n == ts->cap && !timer_heap_grow(ts))
		return false;
	t->when = when;
	wf_store_relaxed(&t->home, ts);
	timer_heap_place(ts, ts->n++, (struct timer_entry){ when, t });
	if (ts->n - ts->n_sorted > TIMER_HEAP_NEW)
		timer_heap_settle(ts);
	return true;
}

/* What stands at i of the sorted ones is to be sorted anew. */
static inline void
timer_heap_sift(struct timers *ts, uint32_t i)
{
	if (i > 0 && ts->heap[(i - 1) / TIMER_HEAP_ARITY].when > ts->heap[i].when)
		timer_heap_sift_up(ts, i);
	else
		timer_heap_sift_down(ts, i);
}

static inline void
timer_heap_remove(struct timers *ts, uint32_t i)
{
	uint32_t hole = i;

	wf_store_release(&ts->heap[i].t->home, NULL);
	if (i < ts->n_sorted) {
		/* The last one that is sorted comes here, and the last new one to its place. */
		hole = --ts->n_sorted;
		if (i != hole) {
			timer_heap_place(ts, i, ts->heap[hole]);
			timer_heap_sift(ts, i);
		}
	}
	if (hole != --ts->n)
		timer_heap_place(ts, hole, ts->heap[ts->n]);
	timer_heap_shrink(ts);
}

/* The one at i is to fire at `when` instead. */
static inline void
timer_heap_put_off(struct timers *ts, uint32_t i, int64_t when)
{
	ts->heap[i].t->when = when;
	ts->heap[i].when = when;
	if (i < ts->n_sorted)
		timer_heap_sift(ts, i);
}

/*
 * All are sorted in. If at least TIMER_CROWD are due within TIMER_SLACK_NS from the first on: by
 * when it is worth to wait for them, that is until the last is due, or, if they are many, for all
 * of that time. Else 0.
 */
static inline int64_t
timer_heap_crowd(const struct timers *ts)
{
	uint32_t met[2 * TIMER_CROWD] = { 0 }, n = 1;
	int64_t last, end;

	if (ts->n < TIMER_CROWD || ts->heap[0].when > INT64_MAX - TIMER_SLACK_NS)
		return 0;
	last = ts->heap[0].when;
	end = last + TIMER_SLACK_NS;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = met[i] * TIMER_HEAP_ARITY + 1;

		for (uint32_t c = first; c < first + TIMER_HEAP_ARITY && c < ts->n; c++) {
			if (ts->heap[c].when > end)
				continue;
			if (n == wf_countof(met))
				return end;
			met[n++] = c;
			last = wf_max(last, ts->heap[c].when);
		}
	}
	return n >= TIMER_CROWD ? last : 0;
}

#endif /* WEFT_SCHED_TIMER_HEAP_H */
