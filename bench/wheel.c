/*
 * The scheduler's timer heap against a hierarchical timing wheel (G. Varghese and T. Lauck, 1987;
 * 64 slots a level with a bit map each): the data structures alone, without locks, with the same
 * work, in a time of our own. What came of it: src/sched/README.md, "Timers and the poller".
 */
#include "lib/harness.h"

#include "base/compiler.h"
#include "sched/timer_heap.h"

#include <string.h>

#define SECOND ((int64_t)1000000000)

/* ---- The wheel ---- */

#define TICK_BITS 14		/* 16 us: no timer may be late by more than that */
#define SLOT_BITS 6
#define SLOTS (1u << SLOT_BITS)
#define LEVELS 8		/* 2^48 ticks: 146 years */

struct node {
	struct node *next, **link;	/* link: what points here */
	int64_t when;
	uint8_t level, slot;
};

struct wheel {
	uint64_t now;			/* in ticks: what is due at or before has fired */
	uint64_t busy[LEVELS];		/* slots that are not empty */
	struct node *slot[LEVELS][SLOTS];
};

/* The first tick that is not before ns. */
static uint64_t
tick_of(int64_t ns)
{
	return ((uint64_t)ns + (1u << TICK_BITS) - 1) >> TICK_BITS;
}

/* The level is that of the highest digit in which the tick differs from now. */
static void
wheel_put(struct wheel *w, struct node *n, int64_t when)
{
	uint64_t tick = tick_of(when), differ = (tick ^ w->now) | 1;
	unsigned level = (63 - (unsigned)__builtin_clzll(differ)) / SLOT_BITS;
	unsigned slot = (unsigned)(tick >> (level * SLOT_BITS)) % SLOTS;
	struct node **head = &w->slot[level][slot];

	n->when = when;
	n->level = (uint8_t)level;
	n->slot = (uint8_t)slot;
	n->next = *head;
	n->link = head;
	if (n->next != NULL)
		n->next->link = &n->next;
	*head = n;
	w->busy[level] |= (uint64_t)1 << slot;
}

static void
wheel_remove(struct wheel *w, struct node *n)
{
	*n->link = n->next;
	if (n->next != NULL)
		n->next->link = n->link;
	if (w->slot[n->level][n->slot] == NULL)
		w->busy[n->level] &= ~((uint64_t)1 << n->slot);
}

/* The tick at which there is something to do: to fire, or to spread a slot over lower levels. */
static uint64_t
wheel_next(const struct wheel *w, unsigned *ret_level, unsigned *ret_slot)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned shift = level * SLOT_BITS;

		/* What is on a level is after now's digit, and before all higher levels. */
		if (w->busy[level] != 0) {
			uint64_t slot = (uint64_t)__builtin_ctzll(w->busy[level]);
			uint64_t above = w->now >> (shift + SLOT_BITS) << SLOT_BITS;

			*ret_level = level;
			*ret_slot = (unsigned)slot;
			return (above | slot) << shift;
		}
	}
	return UINT64_MAX;
}

/* Goes on to the next tick with something to do. Returns those that fire, as a list. */
static struct node *
wheel_step(struct wheel *w)
{
	unsigned level = 0, slot = 0;
	uint64_t at = wheel_next(w, &level, &slot);
	struct node *list = w->slot[level][slot], *due = NULL;

	w->now = at;
	w->slot[level][slot] = NULL;
	w->busy[level] &= ~((uint64_t)1 << slot);
	while (list != NULL) {
		struct node *n = list;

		list = n->next;
		if (tick_of(n->when) > at) {
			wheel_put(w, n, n->when);
		} else {
			n->next = due;
			due = n;
		}
	}
	return due;
}

/* ---- The work ---- */

static uint64_t random_state = 88172645463325252u;

static int64_t
random_below(int64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int64_t)(random_state % (uint64_t)n);
}

static struct timers heap;
static struct wheel wheel;
static struct wf_timer *timer;
static struct node *node;

/* `live` timers, due in up to 100 s. One more is room for the work. */
static void
fill(long live, bool by_wheel)
{
	timer = calloc((size_t)live + 1, sizeof(*timer));
	node = calloc((size_t)live + 1, sizeof(*node));
	BENCH_CHECK(timer != NULL && node != NULL);
	for (long i = 0; i < live; i++) {
		int64_t when = SECOND + random_below(100 * SECOND);

		if (by_wheel)
			wheel_put(&wheel, &node[i], when);
		else
			BENCH_CHECK(timer_heap_put(&heap, &timer[i], when));
	}
}

/* Made and stopped at once, due after 10 s: the deadline of a call that is answered. */
static void
stop(long live, bool by_wheel)
{
	long n = bench_n(10000000);
	int64_t start;

	fill(live, by_wheel);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		int64_t when = 10 * SECOND + random_below(SECOND);

		if (by_wheel) {
			wheel_put(&wheel, &node[live], when);
			wheel_remove(&wheel, &node[live]);
		} else {
			BENCH_CHECK(timer_heap_put(&heap, &timer[live], when));
			timer_heap_remove(&heap, timer[live].index);
		}
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

/* Any of the live ones is stopped and set anew: connections' deadlines, put off by each packet. */
static void
put_off(long live, bool by_wheel)
{
	long n = bench_n(5000000);
	int64_t start;

	fill(live, by_wheel);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		long k = random_below(live);
		int64_t when = 10 * SECOND + random_below(100 * SECOND);

		if (by_wheel) {
			wheel_remove(&wheel, &node[k]);
			wheel_put(&wheel, &node[k], when);
		} else {
			timer_heap_remove(&heap, timer[k].index);
			BENCH_CHECK(timer_heap_put(&heap, &timer[k], when));
		}
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

/* Fires the next in the heap, and sets it anew. Returns how many fired. */
static long
next_of_heap(int64_t *now)
{
	struct wf_timer *t = heap.heap[0].t;

	BENCH_CHECK(t->when >= *now);
	*now = t->when;
	timer_heap_remove(&heap, 0);
	BENCH_CHECK(timer_heap_put(&heap, t, *now + SECOND / 1000 + random_below(100 * SECOND)));
	return 1;
}

static long
next_of_wheel(int64_t *now)
{
	long n = 0;

	for (struct node *due = wheel_step(&wheel), *next; due != NULL; due = next, n++) {
		next = due->next;
		*now = (int64_t)(wheel.now << TICK_BITS);
		BENCH_CHECK(due->when <= *now && due->when > *now - (1 << TICK_BITS));
		wheel_put(&wheel, due, *now + SECOND / 1000 + random_below(100 * SECOND));
	}
	return n;
}

/* Slept out: one fires, and is set again for some time within 100 s. */
static void
fire(long live, bool by_wheel)
{
	long n = bench_n(2000000), fired = 0, wakes = 0;
	int64_t now = 0, start;

	fill(live, by_wheel);
	start = bench_now();
	for (; fired < n; wakes++)
		fired += by_wheel ? next_of_wheel(&now) : next_of_heap(&now);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)fired);
	bench_value("wakes", "per fire", (double)wakes / (double)fired);
}

#define BOTH(work)				\
static void					\
work##_heap(long live)				\
{						\
	work(live, false);			\
}						\
						\
static void					\
work##_wheel(long live)				\
{						\
	work(live, true);			\
}

BOTH(stop)
BOTH(put_off)
BOTH(fire)

#define PAIR(work, size, live)								\
	{.name = "wheel_" #work "_" size, .run = work##_heap, .arg = live, .procs = 1},	\
	{.name = "wheel_" #work "_" size, .by = "wheel", .run = work##_wheel, .arg = live,	\
	    .procs = 1}

static const struct bench_case cases[] = {
    PAIR(stop, "1k", 1000),
    PAIR(stop, "100k", 100000),
    PAIR(stop, "1M", 1000000),
    PAIR(put_off, "1k", 1000),
    PAIR(put_off, "100k", 100000),
    PAIR(put_off, "1M", 1000000),
    PAIR(fire, "1k", 1000),
    PAIR(fire, "100k", 100000),
    PAIR(fire, "1M", 1000000),
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
