/*
 * Timers when memory is out: a firing is late, not lost.
 */
#include "chan_util.h"
#include "child.h"
#include "limit_memory.h"

#include <stdio.h>
#include <unistd.h>

static _Atomic int ran, fired;

static weft_chan *gate;

static void
add_one(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* Keeps its memory until the gate opens. */
static void
wait_then_add_one(void *arg)
{
	weft_chan_recv(gate, NULL, WEFT_FOREVER);
	add_one(arg);
}

static void
block_then_add_one(void *arg)
{
	usleep(50000);
	add_one(arg);
}

static void
fire_without_memory(void *arg)
{
	weft_timer *t;
	int started = 0;
	int r;

	(void)arg;
	weft_gomaxprocs(1);
	/* All that the runtime needs itself is there before the limit, threads to spare too. */
	for (int i = 0; i < 100; i++)
		go(i % 10 == 0 ? block_then_add_one : add_one, &ran);
	await_count(&ran, 100);
	t = weft_timer_new(WEFT_FOREVER, 0, add_one, &fired);
	EXPECT(t != NULL);
	EXPECT_EQ(weft_sleep(5 * MS), 0);

	gate = weft_chan_new(0, 0);
	limit_memory(8 << 20);
	while ((r = weft_go(wait_then_add_one, &ran)) == 0) {
		started++;
		EXPECT(started < 10000000);
	}
	EXPECT_EQ(r, -ENOMEM);

	/* There is no goroutine to be had for the function: now it can't run. */
	EXPECT(weft_timer_reset(t, WEFT_NOW, 0));
	if (weft_go(wait_then_add_one, &ran) == 0)
		started++;

	/* The others end, and give theirs back. */
	weft_chan_close(gate);
	await_count(&ran, 100 + started);
	for (int64_t end = weft_in(10 * SECOND); atomic_load(&fired) == 0 && weft_now() < end;)
		weft_sleep(1 * MS);
	EXPECT_EQ(atomic_load(&fired), 1);
	EXPECT(!weft_timer_stop(t));
	weft_timer_free(t);
	fprintf(stderr, "fired after %d goroutines\n", started);
}

/* Dropped, a timer would be silent for ever because memory was short for a moment. */
TEST(a_function_without_memory_runs_later)
{
	struct child_result r;

	if (test_scale() > 1)
		SKIP("sanitizers need more address space than the limit leaves");
	r = child_run(fire_without_memory, NULL);
	if (r.status != 0)
		FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
	EXPECT_CONTAINS(r.err, "fired after");
	child_result_free(&r);
}
