/*
 * The scheduler's timer heap against a plain list of what is armed, in a time of our own: all is
 * armed for more than an hour from now, and the heap is told that it is later. RELIABILITY 46, 49.
 */
#include "sched/timer.h"

#include <stdlib.h>
#include <weft.h>

#include "sched/sched.h"
#include "test.h"

#define SECOND ((int64_t)1000000000)

enum { ITEMS = 500 };

/* A timer, and what we know of it. */
struct item {
	struct wf_timer t;
	bool is_armed;
	int64_t when;
	int64_t period;		/* 0: once */
};

static struct item item[ITEMS];
static int n_armed;

/* The current call of wf_timers_run(). */
static int64_t run_now, run_last;
static int n_fired;

static int64_t
on_fire(struct wf_timer *t, int64_t now, struct gqueue *ready)
{
	struct item *i = wf_container_of(t, struct item, t);

	(void)ready;
	EXPECT_EQ(now, run_now);
	EXPECT(i->is_armed);
	EXPECT_EQ(t->when, i->when);
	EXPECT(i->when <= now);
	EXPECT(i->when >= run_last);	/* oldest first */
	run_last = i->when;
	n_fired++;
	if (i->period > 0) {
		i->when += i->period;
		return i->when;
	}
	i->is_armed = false;
	n_armed--;
	return INT64_MAX;
}

static void
run_to(struct p *p, int64_t now)
{
	struct gqueue ready = { 0 };
	int64_t next, first = INT64_MAX;

	run_now = now;
	run_last = INT64_MIN;
	next = wf_timers_run(&p->timers, now, &ready);
	EXPECT(ready.head == NULL);
	for (int k = 0; k < ITEMS; k++) {
		if (!item[k].is_armed)
			continue;
		EXPECT(item[k].when > now);		/* none is forgotten */
		first = wf_min(first, item[k].when);
	}
	EXPECT_EQ(next, first);
	EXPECT_EQ(wf_load_relaxed(&p->timers.next), first);
	EXPECT_EQ(p->timers.n, n_armed);
}

static void
arm(struct item *i, int64_t when, int64_t period)
{
	i->when = when;
	i->period = period;
	i->is_armed = when != INT64_MAX;
	n_armed += i->is_armed;
	wf_timer_arm(&i->t, when);
}

static void
disarm(struct item *i)
{
	EXPECT_EQ(wf_timer_disarm(&i->t), i->is_armed);
	n_armed -= i->is_armed;
	i->is_armed = false;
	EXPECT(wf_load_relaxed(&i->t.home) == NULL);
	EXPECT(!wf_timer_disarm(&i->t));
}

/*
 * A heap that loses one timer, fires one twice, out of order or after it was disarmed, shows only
 * as a program that now and then hangs or misbehaves. Here every step is checked.
 */
TEST(the_heap_agrees_with_a_list)
{
	uint64_t seed = test_seed();
	int64_t now;
	struct p *p;

	weft_gomaxprocs(1);
	for (int k = 0; k < ITEMS; k++)
		item[k].t.fire = on_fire;
	now = weft_in(3600 * SECOND);
	p = wf_enter()->p;
	EXPECT_EQ(p->timers.n, 0);
	for (int step = 0; step < 200000 / test_scale(); step++) {
		struct item *i = &item[test_rand(&seed) % ITEMS];
		int64_t when;

		switch (test_rand(&seed) % 10) {
		case 0:
			now += (int64_t)(test_rand(&seed) % 1000);
			run_to(p, now);
			break;
		case 1:
		case 2:
		case 3:
			disarm(i);
			break;
		default:
			if (i->is_armed)
				disarm(i);
			/* Few different times, so that many are equal; some far, some never. */
			when = now + 1 + (int64_t)(test_rand(&seed) % 2000);
			if (test_rand(&seed) % 20 == 0)
				when = INT64_MAX - (int64_t)(test_rand(&seed) % 3);
			arm(i, when, when < now + 3000 && test_rand(&seed) % 8 == 0
			    ? (int64_t)(test_rand(&seed) % 700) + 1 : 0);
			break;
		}
		/* Long ones fill up and empty the heap, beyond its first size. */
		if (step % 5000 == 4999)
			for (int k = 0; k < ITEMS; k++)
				disarm(&item[k]);
	}
	EXPECT(n_fired > 1000);
	for (int k = 0; k < ITEMS; k++)
		disarm(&item[k]);
	run_to(p, now);
	wf_leave();
}
