/*
 * I/O beside goroutines that always have something to do.
 */
#include <weft.h>

#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

static atomic_bool stop;
static atomic_int running;
static atomic_long got;
static int fds[2];

static void
yield_for_ever(void *arg)
{
	(void)arg;
	atomic_fetch_add(&running, 1);
	while (!atomic_load(&stop))
		weft_yield();
	atomic_fetch_sub(&running, 1);
}

static void
read_all(void *arg)
{
	char c;

	(void)arg;
	while (weft_read(fds[0], &c, 1, WEFT_FOREVER) == 1)
		atomic_fetch_add(&got, 1);
}

/*
 * A P that always has more goroutines than half of its ring holds still asks the poller: else a
 * server's connections stand still as long as 130 goroutines compute and yield. Each turn of main
 * is
 * a turn of everybody, so a byte is read within a few of them; all the time in the world passes
 * while the test's thread does not run, so that time is no measure.
 */
TEST(a_reader_gets_on_among_many_that_yield)
{
	long turns = 0, bytes = 200;

	weft_gomaxprocs(1);
	EXPECT_EQ(pipe(fds), 0);
	weft_go(read_all, NULL);
	for (int i = 0; i < 200; i++)
		weft_go(yield_for_ever, NULL);
	while (atomic_load(&running) < 200)
		weft_yield();
	for (long i = 0; i < bytes; i++) {
		EXPECT_EQ(write(fds[1], "x", 1), 1);
		for (; atomic_load(&got) == i; turns++)
			weft_yield();
	}
	atomic_store(&stop, true);
	while (atomic_load(&running) > 0)
		weft_yield();
	if (turns > 50 * bytes)
		FAIL("%ld turns for %ld bytes", turns, bytes);
}
