/*
 * The timer heap against a plain list that is searched: 10^5 random operations, each result the
 * same. A timer that is lost, doubled or early would stop a program or wake it for nothing.
 */
#include "sched/sched.h"
#include "os/os.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

#define N 500

static struct wf_timer timers[N];
static int64_t model[N];	/* when; 0 = not armed */
static int64_t fired_at[N];
static long fired;

static int64_t
fire(struct wf_timer *t, int64_t now, struct gqueue *ready)
{
	long i = t - timers;

	(void)ready;
	EXPECT(model[i] != 0);
	EXPECT(model[i] <= now);
	EXPECT_EQ(t->when, model[i]);
	fired_at[i] = now;
	fired++;
	if (i % 10 == 0) {
		/* Every tenth is periodic. */
		model[i] = now + 50;
		return model[i];
	}
	model[i] = 0;
	return INT64_MAX;
}

static int64_t
earliest(void)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < N; i++)
		if (model[i] != 0 && model[i] < next)
			next = model[i];
	return next;
}

TEST(the_heap_agrees_with_a_list)
{
	uint64_t seed = test_seed();
	struct gqueue ready = { 0 };
	struct timers *ts;
	/* Far in the future, so that the scheduler itself fires none of them. */
	int64_t now = wf_os_now() + ((int64_t)1 << 60);
	int64_t next;
	long rounds = 100000 / test_scale();

	(void)wf_enter();
	ts = &wf_self()->p->timers;
	for (long r = 0; r < rounds; r++) {
		int i = (int)(test_rand(&seed) % N);

		switch (test_rand(&seed) % 4) {
		case 0:
		case 1:
			if (model[i] == 0) {
				timers[i].fire = fire;
				model[i] = now + 1 + (int64_t)(test_rand(&seed) % 1000);
				wf_timer_arm(&timers[i], model[i]);
			}
			break;
		case 2:
			EXPECT_EQ(model[i] != 0, wf_timer_disarm(&timers[i]));
			model[i] = 0;
			break;
		case 3:
			now += (int64_t)(test_rand(&seed) % 20);
			next = wf_timers_run(ts, now, &ready);
			EXPECT_EQ(next, earliest());
			EXPECT(earliest() > now);
			break;
		}
		EXPECT_EQ(wf_load_relaxed(&ts->next), earliest());
	}
	EXPECT(fired > 0);
	for (int i = 0; i < N; i++)
		(void)wf_timer_disarm(&timers[i]);
	EXPECT_EQ(ts->n, 0);
	wf_leave();
}
