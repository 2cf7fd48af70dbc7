/*
 * No memory for stacks: weft_go says so, what was promised is kept, and nobody dies of it. And
 * memory of stacks that nobody needs any more goes back to the system.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "limit_memory.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define PLENTY 100000

static atomic_int n_ended;
static weft_chan *gate;

static void
end(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_ended, 1);
}

static void
wait_then_end(void *arg)
{
	EXPECT_EQ(weft_chan_recv(gate, NULL, WEFT_FOREVER), 0);
	end(arg);
}

static void
await_ended(int n)
{
	for (int64_t until = weft_in(30000 * MS); atomic_load(&n_ended) < n;) {
		if (weft_now() > until)
			FAIL("%d of %d goroutines ended", atomic_load(&n_ended), n);
		weft_sleep(1 * MS);
	}
}

static void
block_then_end(void *arg)
{
	usleep(50000);
	end(arg);
}

/* All that the runtime needs for itself is there before the limit, threads to spare among it. */
static void
warm_up(void)
{
	gate = weft_chan_new(0, 0);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(weft_go(block_then_end, NULL), 0);
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(weft_go(end, NULL), 0);
	await_ended(1010);
	weft_sleep(20 * MS);
	atomic_store(&n_ended, 0);
}

/* With large stacks, so that it is these that run out first, and not the records. */
static int
start_until_refused(bool yields)
{
	weft_go_options o = { .size = sizeof(o), .stack_size = (size_t)1 << 20 };
	int started = 0, r;

	while ((r = weft_go_with(&o, wait_then_end, NULL)) == 0) {
		EXPECT(++started < PLENTY);
		if (yields)
			weft_yield();
	}
	EXPECT_EQ(r, -ENOMEM);
	return started;
}

static void
run_out_of_stacks(void *arg)
{
	bool yields = arg != NULL;
	int started;

	weft_gomaxprocs(2);
	warm_up();
	limit_memory(32 << 20);
	started = start_until_refused(yields);
	weft_chan_close(gate);
	await_ended(started);
	/* The shortage is over, and weft_go knows. */
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_go(end, NULL), 0);
	await_ended(started + 100);
	fprintf(stderr, "all of %d ended\n", started);
}

TEST(what_weft_go_promised_runs_when_others_have_ended)
{
	if (test_scale() > 1)
		SKIP("sanitizers need more address space than the limit leaves");
	for (uintptr_t yields = 0; yields < 2; yields++) {
		struct child_result r = child_run(run_out_of_stacks, (void *)yields);

		if (r.status != 0)
			FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
		EXPECT_CONTAINS(r.err, "ended");
		child_result_free(&r);
	}
}

static void
all_wait_and_some_starve(void *arg)
{
	(void)arg;
	weft_gomaxprocs(2);
	warm_up();
	limit_memory(32 << 20);
	(void)start_until_refused(true);
	weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

/* It is not a deadlock of the program's making, and does not sit there either. */
/* RELIABILITY 126: the start itself, with no more address space than a small container gives. */
static void
start_in_little(void *arg)
{
	(void)arg;
	limit_memory(64 << 20);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_go(end, NULL), 0);
	await_ended(100);
	puts("all ended");
}

TEST(a_program_starts_in_little_address_space)
{
	struct child_result r;

	if (test_scale() > 1)
		SKIP("sanitizers need more address space than the limit leaves");
	r = child_run(start_in_little, NULL);
	EXPECT_STR(r.out, "all ended\n");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

TEST(starving_for_ever_is_reported)
{
	struct child_result r;

	if (test_scale() > 1)
		SKIP("sanitizers need more address space than the limit leaves");
	r = child_run(all_wait_and_some_starve, NULL);
	if (r.status != 2)
		FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
	EXPECT_CONTAINS(r.err, "fatal error: runtime: no memory for the stacks of ");
	EXPECT_CONTAINS(r.err, "ulimit -v");
	child_result_free(&r);
}

#define CROWD 4000
#define STACK_KB 4	/* that each has touched, at least */

static long
resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages;

	EXPECT(f != NULL);
	EXPECT_EQ(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

struct watch {
	long limit_kb;
	long seen_kb;
	weft_chan *over;
};

/* A thread that weft does not know, so that nothing runs while it looks. */
static void *
watch_memory(void *arg)
{
	struct watch *w = arg;

	for (int i = 0; i < 500; i++) {
		if ((w->seen_kb = resident_kb()) < w->limit_kb)
			break;
		usleep(10000);
	}
	weft_chan_close(w->over);
	return NULL;
}

static void
read_raw(void *arg)
{
	char c;

	EXPECT_EQ(read(*(int *)arg, &c, 1), 0);
	end(NULL);
}

/*
 * All wait, and the monitor sleeps deeply; it is woken, takes Ps from some that block, and just
 * then all end.
 */
static void
crowd_comes_and_goes(long before_kb)
{
	struct watch w = { .limit_kb = before_kb + CROWD * STACK_KB / 2 };
	pthread_t thread;
	int pipe_fds[2];

	EXPECT_EQ(pipe(pipe_fds), 0);
	w.over = weft_chan_new(0, 0);
	gate = weft_chan_new(0, 0);
	atomic_store(&n_ended, 0);
	for (int i = 0; i < CROWD; i++)
		EXPECT_EQ(weft_go(wait_then_end, NULL), 0);
	weft_sleep(300 * MS);
	EXPECT(resident_kb() >= w.limit_kb);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_go(read_raw, &pipe_fds[0]), 0);
	weft_sleep(3 * MS);
	weft_chan_close(gate);
	await_ended(CROWD);

	EXPECT_EQ(pthread_create(&thread, NULL, watch_memory, &w), 0);
	weft_chan_recv(w.over, NULL, WEFT_FOREVER);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	if (w.seen_kb >= w.limit_kb)
		FAIL("%ld KB are resident, %ld before the crowd came", w.seen_kb, before_kb);
	close(pipe_fds[1]);
	await_ended(CROWD + 3);
	close(pipe_fds[0]);
	weft_chan_unref(w.over);
	weft_chan_unref(gate);
}

TEST(a_program_at_rest_gives_stacks_back)
{
	long before_kb;

	if (test_scale() > 1)
		SKIP("sanitizers keep memory of their own for each stack");
	weft_gomaxprocs(2);
	before_kb = resident_kb();
	for (int i = 0; i < 5; i++)
		crowd_comes_and_goes(before_kb);
}

/* What can be written and run is where a bug becomes somebody else's code. */
TEST(no_memory_may_be_written_and_run)
{
	char line[512];
	FILE *f;

	gate = weft_chan_new(0, 0);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_go_with(&(weft_go_options){ .size = sizeof(weft_go_options),
		    .stack_size = (size_t)(i % 4) << 18 }, wait_then_end, NULL), 0);
	f = fopen("/proc/self/maps", "r");
	EXPECT(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, " rwx") != NULL)
			FAIL("%s", line);
	fclose(f);
	weft_chan_close(gate);
	await_ended(100);
	weft_chan_unref(gate);
}
