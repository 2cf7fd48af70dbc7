/*
 * What the tests of the scheduler share: a count that goroutines raise and tests wait for.
 */
#ifndef WEFT_TEST_SPEC_SCHED_UTIL_H
#define WEFT_TEST_SPEC_SCHED_UTIL_H

#include <weft.h>

#include "test.h"

#include <stdatomic.h>

#define MS ((int64_t)1000000)
#define S (1000 * MS)

static atomic_long count;
static atomic_bool stop;

static inline void
wait_for(long n)
{
	int64_t deadline = weft_in(40 * S * test_scale());

	while (atomic_load(&count) < n) {
		if (weft_now() > deadline)
			FAIL("only %ld of %ld", atomic_load(&count), n);
		weft_sleep(MS);
	}
}

#endif /* WEFT_TEST_SPEC_SCHED_UTIL_H */
