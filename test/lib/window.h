/*
 * For tests that hold the runtime at a point: they wait without it.
 */
#ifndef WEFT_TEST_LIB_WINDOW_H
#define WEFT_TEST_LIB_WINDOW_H

#include "test.h"

#include <stdatomic.h>
#include <time.h>

static inline void
pause_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static inline void
await_at_least(atomic_int *what, int n)
{
	for (int i = 0; atomic_load(what) < n; i++) {
		if (i > 30000 * test_scale())
			FAIL("only %d of %d", atomic_load(what), n);
		pause_ms(1);
	}
}

/* A goroutine's function. */
static inline void
count_one(void *counter)
{
	atomic_fetch_add((atomic_int *)counter, 1);
}

#endif /* WEFT_TEST_LIB_WINDOW_H */
