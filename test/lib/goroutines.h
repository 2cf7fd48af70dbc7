/*
 * Counts goroutines, to see that none is left behind.
 */
#ifndef WEFT_TEST_LIB_GOROUTINES_H
#define WEFT_TEST_LIB_GOROUTINES_H

#include "test.h"

#include <weft.h>

/* At most n are there, at once or soon: who was waited for has said so before its very end. */
static inline void
expect_goroutines(int n)
{
	int64_t limit = weft_in(INT64_C(30000000000) * test_scale());

	while (weft_numgoroutine() > n) {
		if (weft_now() > limit)
			FAIL("%d goroutines are there, not %d", weft_numgoroutine(), n);
		weft_sleep(INT64_C(1000000));
	}
}

#endif /* WEFT_TEST_LIB_GOROUTINES_H */
