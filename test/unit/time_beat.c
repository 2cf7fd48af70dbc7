/*
 * time/beat.h: the arithmetic of due times, at its edges.
 */
#include "time/beat.h"

#include "test.h"

/* A deadline that wrapped would be in the past: what should wait for ever would not wait at all. */
TEST(a_time_after_now_saturates)
{
	const int64_t far = INT64_MAX;

	EXPECT_EQ(wf_time_after(1000, 0), 1000);
	EXPECT_EQ(wf_time_after(1000, 1), 1001);
	EXPECT_EQ(wf_time_after(1000, -1), 999);
	EXPECT_EQ(wf_time_after(1000, -1000), 0);
	EXPECT_EQ(wf_time_after(1000, -1001), 0);
	EXPECT_EQ(wf_time_after(1000, INT64_MIN), 0);
	EXPECT_EQ(wf_time_after(0, INT64_MIN), 0);
	EXPECT_EQ(wf_time_after(1000, far - 1000), far);
	EXPECT_EQ(wf_time_after(1000, far - 1001), far - 1);
	EXPECT_EQ(wf_time_after(1000, far - 999), far);
	EXPECT_EQ(wf_time_after(1000, far), far);
	EXPECT_EQ(wf_time_after(0, far), far);
	EXPECT_EQ(wf_time_after(far, far), far);
	EXPECT_EQ(wf_time_after(far, INT64_MIN), 0);
}

TEST(the_next_beat_keeps_phase)
{
	EXPECT_EQ(wf_time_next_beat(100, 100, 10), 110);
	EXPECT_EQ(wf_time_next_beat(100, 109, 10), 110);
	EXPECT_EQ(wf_time_next_beat(100, 110, 10), 120);	/* that one was just missed */
	EXPECT_EQ(wf_time_next_beat(100, 555, 10), 560);
	EXPECT_EQ(wf_time_next_beat(100, 555, 0), INT64_MAX);
	EXPECT_EQ(wf_time_next_beat(100, 101, 1), 102);
}

/* SCENARIOS 182. */
TEST(the_next_beat_saturates)
{
	const int64_t far = INT64_MAX;

	EXPECT_EQ(wf_time_next_beat(100, 100, far), far);
	EXPECT_EQ(wf_time_next_beat(1, far - 5, far - 10), far);
	EXPECT_EQ(wf_time_next_beat(100, 100, far - 100), far);
	EXPECT_EQ(wf_time_next_beat(100, 100, far - 101), far - 1);
	EXPECT_EQ(wf_time_next_beat(1, far, 1), far);
	EXPECT_EQ(wf_time_next_beat(1, far - 1, 1), far);
	EXPECT_EQ(wf_time_next_beat(1, far - 2, 1), far - 1);
	EXPECT_EQ(wf_time_next_beat(far, far, 1), far);
}

/* Whatever the numbers: after now, at most a period after it, in phase; or the end of time. */
TEST(the_next_beat_holds_for_random_times)
{
	uint64_t seed = test_seed();

	for (int i = 0; i < 1000000; i++) {
		int64_t now = (int64_t)(test_rand(&seed) >> (1 + test_rand(&seed) % 62)) + 1;
		int64_t due = now - (int64_t)(test_rand(&seed) % (uint64_t)now);
		int64_t period = (int64_t)(test_rand(&seed) >> (1 + test_rand(&seed) % 63));
		int64_t beat = wf_time_next_beat(due, now, period);

		if (period == 0) {
			EXPECT_EQ(beat, INT64_MAX);
		} else if (beat != INT64_MAX) {
			EXPECT(beat > now);
			EXPECT(beat - now <= period);
			EXPECT_EQ((beat - due) % period, 0);
		} else {
			EXPECT((now - due) / period + 1 >= (INT64_MAX - due) / period);
		}
	}
}
