/*
 * What the channel and select tests share: channels of int, goroutines whose end is awaited with
 * nothing but channels, and the same test on 1, 2 and 4 processors. Uses <weft.h> only.
 */
#ifndef WEFT_TEST_SPEC_CHAN_UTIL_H
#define WEFT_TEST_SPEC_CHAN_UTIL_H

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include "test.h"

#define US ((int64_t)1000)
#define MS ((int64_t)1000000)
#define SECOND ((int64_t)1000000000)

static inline weft_chan *
chan_make(size_t elem_size, size_t cap)
{
	weft_chan *c = weft_chan_new(elem_size, cap);

	EXPECT(c != NULL);
	return c;
}

static inline weft_chan *
chan_int(size_t cap)
{
	return chan_make(sizeof(int), cap);
}

static inline void
go(void (*fn)(void *), void *arg)
{
	EXPECT_EQ(weft_go(fn, arg), 0);
}

static inline void
send_int(weft_chan *c, int v)
{
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), 0);
}

static inline int
recv_int(weft_chan *c)
{
	int v = -1;

	EXPECT_EQ(weft_chan_recv(c, &v, WEFT_FOREVER), 1);
	return v;
}

static inline int
try_send_int(weft_chan *c, int v)
{
	return weft_chan_send(c, &v, WEFT_NOW);
}

/* A channel for signals: no value, only that it happened. */
static inline weft_chan *
chan_signal(size_t cap)
{
	return chan_make(0, cap);
}

static inline void
signal_one(weft_chan *c)
{
	EXPECT_EQ(weft_chan_send(c, NULL, WEFT_FOREVER), 0);
}

static inline void
await(weft_chan *c, int n)
{
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_FOREVER), 1);
}

/* Until *n has reached want. Others run meanwhile. */
static inline void
await_count(_Atomic int *n, int want)
{
	while (atomic_load(n) < want)
		weft_yield();
}

static inline void
on_1_2_4_procs(void (*fn)(void))
{
	static const int procs[] = {1, 2, 4};

	for (size_t i = 0; i < sizeof(procs) / sizeof(procs[0]); i++) {
		weft_gomaxprocs(procs[i]);
		EXPECT_EQ(weft_gomaxprocs(0), procs[i]);
		fn();
	}
}

/* n, or less of it under a sanitizer; at least 1. */
static inline int
scaled(int n)
{
	int m = n / test_scale();

	return m > 0 ? m : 1;
}

/* A small number that differs from call to call, for each goroutine its own *state. */
static inline unsigned
small_rand(unsigned *state, unsigned below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 16) % below;
}

#endif /* WEFT_TEST_SPEC_CHAN_UTIL_H */
