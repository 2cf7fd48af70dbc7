/*
 * The buckets of the scheduler's histogram. If they overlap or leave gaps, percentiles are wrong by
 * as much.
 */
#include "sched/metrics.h"

#include "test.h"

TEST(each_value_is_below_its_bound_and_not_below_the_one_before)
{
	for (int shift = 0; shift < 45; shift++) {
		for (int64_t d = -1; d <= 1; d++) {
			int64_t ns = ((int64_t)1 << shift) + d;
			unsigned b = metrics_bucket(ns);

			EXPECT(b < WF_LATENCY_BUCKETS);
			EXPECT(ns < metrics_bound(b));
			EXPECT(b == 0 || ns >= metrics_bound(b - 1));
		}
	}
	EXPECT_EQ(metrics_bucket(-5), 0);
	EXPECT_EQ(metrics_bucket(511), 0);
	EXPECT_EQ(metrics_bucket(512), 1);
	EXPECT_EQ(metrics_bucket(INT64_MAX), WF_LATENCY_BUCKETS - 1);
}

TEST(each_bucket_is_a_quarter_of_a_doubling)
{
	for (unsigned b = 1; b + 1 < WF_LATENCY_BUCKETS; b++) {
		int64_t width = metrics_bound(b) - metrics_bound(b - 1);

		EXPECT(width > 0);
		EXPECT(4 * width <= metrics_bound(b - 1));
	}
}
