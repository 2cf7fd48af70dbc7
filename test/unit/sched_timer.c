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

/* Arms k timers, `apart` ns from each other from `first` on, and fires what is due at now. */
static void
arm_some(struct timers *ts, int k, int64_t first, int64_t apart, int64_t now)
{
	struct gqueue ready = { 0 };

	for (int i = 1; i <= k; i++) {
		timers[i].fire = fire;
		model[i] = first + i * apart;
		wf_timer_arm(&timers[i], model[i]);
	}
	(void)wf_timers_run(ts, now, &ready);
}

static void
disarm_all(void)
{
	for (int i = 0; i < N; i++) {
		EXPECT_EQ(wf_timer_disarm(&timers[i]), model[i] != 0);
		model[i] = 0;
	}
}

/*
 * May who sleeps for the first timer sleep longer? Only for a moment, and if others are due in the
 * next. If this fails a lone timer is late, or dense ones wake a thread each.
 */
TEST(who_sleeps_for_many_timers_may_be_late)
{
	int64_t now = wf_os_now() + ((int64_t)1 << 60);
	int n = TIMER_CROWD;
	struct timers *ts;

	weft_gomaxprocs(1);
	(void)wf_enter();
	ts = &wf_self()->p->timers;
	memset(model, 0, sizeof(model));
	/* The first fires. One too few are left. */
	arm_some(ts, n, now - 1000, 1000, now);
	EXPECT_EQ(ts->n, n - 1);
	EXPECT_EQ(wf_timers_share(now + 1000, now), now + 1000);
	disarm_all();
	/* As many as it takes: until the last. */
	arm_some(ts, n + 1, now - 1000, 1000, now);
	EXPECT_EQ(wf_timers_share(now + 1000, now), now + n * 1000);
	EXPECT_EQ(wf_timers_share(now + 1000, now + 1000 - TIMER_SLACK_NS), now + 1000);
	/* They have gone: what was seen of them counts no more. */
	disarm_all();
	EXPECT_EQ(wf_timers_share(now + 50000, now), now + 50000);
	/* One of them is not due in that time. */
	arm_some(ts, n + 1, now - TIMER_SLACK_NS / n, TIMER_SLACK_NS / n, now);
	EXPECT_EQ(wf_timers_share(now + TIMER_SLACK_NS / n, now), now + TIMER_SLACK_NS);
	disarm_all();
	arm_some(ts, n + 1, now - TIMER_SLACK_NS / n * 2, TIMER_SLACK_NS / n * 2, now);
	EXPECT_EQ(wf_timers_share(now + TIMER_SLACK_NS / n * 2, now),
	    now + TIMER_SLACK_NS / n * 2);
	disarm_all();
	/* So many that not all are looked at: for as long as a timer may be late. */
	arm_some(ts, 9 * n, now - 1000, 1000, now);
	EXPECT_EQ(wf_timers_share(now + 1000, now), now + 1000 + TIMER_SLACK_NS);
	disarm_all();
	/* Nobody waits for any. */
	EXPECT_EQ(wf_timers_share(INT64_MAX, now), INT64_MAX);
	wf_leave();
}
