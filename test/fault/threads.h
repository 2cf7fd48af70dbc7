/*
 * A scenario: goroutines that block their threads, and others that wait.
 */
#ifndef WEFT_TEST_FAULT_THREADS_H
#define WEFT_TEST_FAULT_THREADS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <weft.h>

#include "insist.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static weft_chan *passed;

/* In the kernel, without telling anybody: until all of them are there. */
static void
block(void *arg)
{
	struct pollfd p = {.fd = (int)(intptr_t)arg, .events = POLLIN};
	int v = 1;

	while (poll(&p, 1, -1) < 0)
		continue;
	EXPECT_EQ(weft_chan_send(passed, &v, soon()), 0);
}

static void
pass(void *arg)
{
	char frame[20000];
	int v = 2, r;

	(void)arg;
	memset(frame, 1, sizeof(frame));
	__asm__ volatile("" ::"r"(frame) : "memory");
	INSIST(r, weft_sleep(1000), r == 0);
	EXPECT_EQ(weft_chan_send(passed, &v, soon()), 0);
}

static int
call(void *arg)
{
	(void)arg;
	return 7;
}

static inline void
threads(void)
{
	int ends[2], v, sum = 0, r;

	EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
	do
		passed = weft_chan_new(sizeof(int), 0);
	while (passed == NULL);
	for (int i = 0; i < 6; i++)
		INSIST(r, weft_go(i < 3 ? block : pass, (void *)(intptr_t)ends[0]), r == 0);
	for (int i = 0; i < 3; i++) {
		INSIST(r, weft_chan_recv(passed, &v, soon()), r == 1);
		sum += v;
	}
	EXPECT_EQ(sum, 6);
	INSIST(r, weft_blocking(call, NULL, soon()), r == 7);
	EXPECT_EQ(write(ends[1], "x", 1), 1);
	for (int i = 0; i < 3; i++) {
		INSIST(r, weft_chan_recv(passed, &v, soon()), r == 1);
		EXPECT_EQ(v, 1);
	}
	weft_chan_unref(passed);
	EXPECT_EQ(close(ends[0]), 0);
	EXPECT_EQ(close(ends[1]), 0);
}

#endif /* WEFT_TEST_FAULT_THREADS_H */
