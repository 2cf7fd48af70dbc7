/*
 * What a program does about a failure that it was told of: once more, and after a while again,
 * since as long as a goroutine waits for a stack no other is begun. Any other result than the one
 * that was injected fails the test.
 */
#ifndef WEFT_TEST_FAULT_INSIST_H
#define WEFT_TEST_FAULT_INSIST_H

#include <weft.h>

#include "inject.h"
#include "test.h"

#include <stdbool.h>
#include <stdint.h>

static inline bool
is_injected(int64_t r)
{
	return r < 0 && r == injected();
}

/* r = call, which must then be as `good` says. */
#define INSIST(r, call, good) \
	do { \
		(r) = (call); \
		for (int try_ = 0; try_ < 100 && !(good) && is_injected(r); try_++) { \
			if (try_ > 0) \
				(void)weft_sleep(10000000); \
			(r) = (call); \
		} \
		if (!(good)) \
			FAIL("%s: %lld", #call, (long long)(r)); \
	} while (0)

static inline int64_t
soon(void)
{
	return weft_in(INT64_C(60000000000));
}

/* It is closed, whatever close(2) says. */
static inline void
close_it(int fd)
{
	int r = weft_close(fd);

	if (r != 0 && r != injected())
		FAIL("weft_close(%d): %d", fd, r);
}

#endif /* WEFT_TEST_FAULT_INSIST_H */
