/*
 * A thread of the program's own, for a moment.
 */
#ifndef WEFT_TEST_LIB_ELSEWHERE_H
#define WEFT_TEST_LIB_ELSEWHERE_H

#include "test.h"

#include <pthread.h>

/* Runs fn on a thread that is not weft's: it never has a P. */
static inline void
elsewhere(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	EXPECT_EQ(pthread_create(&t, NULL, fn, arg), 0);
	EXPECT_EQ(pthread_join(t, NULL), 0);
}

#endif /* WEFT_TEST_LIB_ELSEWHERE_H */
