/*
 * The order in which a thief goes round: one that left a P out would let work lie there while the
 * thief goes to sleep.
 */
#include "sched/order.h"

#include "test.h"

#include <string.h>

#define N_MAX 130u

/* SCENARIOS 70: each P once, for every number of them, every start and every step. */
TEST(each_is_met_once)
{
	bool met[N_MAX];

	for (uint32_t n = 1; n <= N_MAX; n += n < 40 ? 1 : 9)
		for (uint32_t start = 0; start < n; start++)
			for (uint32_t step = 0; step < n; step++) {
				struct order o = order_of(n, start, step);
				uint32_t at, first = n, n_met = 0;

				memset(met, 0, sizeof(met));
				while (order_next(&o, &at)) {
					EXPECT(at < n);
					EXPECT(!met[at]);
					met[at] = true;
					first = first == n ? at : first;
					n_met++;
				}
				EXPECT_EQ(n_met, n);
				EXPECT_EQ(first, start);
				EXPECT(!order_next(&o, &at));
			}
}

/* Any number will do for start and step, 1024 Ps too. */
TEST(large_numbers_are_taken_too)
{
	uint64_t seed = test_seed();

	for (int i = 0; i < 1000; i++) {
		uint32_t n = 1 + (uint32_t)(test_rand(&seed) % 1024), at, n_met = 0;
		struct order o = order_of(n, (uint32_t)test_rand(&seed),
		    i % 3 == 0 ? UINT32_MAX : (uint32_t)test_rand(&seed));
		uint64_t sum = 0;

		while (order_next(&o, &at)) {
			sum += at;
			n_met++;
		}
		EXPECT_EQ(n_met, n);
		EXPECT_EQ(sum, (uint64_t)n * (n - 1) / 2);
	}
}
