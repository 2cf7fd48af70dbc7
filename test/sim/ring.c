/*
 * io_uring in simulated time: requests that end in any order, before their goroutine waits, in
 * part, not at all when they are told to, or with the thread that submitted them; rings that are
 * too small. One seed in four has it for files, one for all; WEFT_POLLER=uring: each. If one of
 * these fails, replay it: WEFT_SIM_SEED=n.
 */
#include <weft.h>

#include "sim_util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS = 40, BLOCK = 64, WRITERS = 4, PIPES = 4, ROUNDS = 8 };

static int file;
static int ends[PIPES][2];
static weft_waitgroup all;

static void
make_file(void)
{
	char path[] = "/tmp/weft-sim-XXXXXX";

	file = mkstemp(path);
	EXPECT(file >= 0);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(ftruncate(file, BLOCK * WRITERS), 0);
}

/* ---- Files ---- */

/* What a call on the block of `writer` made of it: r bytes are new, the others are not. */
static void
expect_written(int writer, char old, char new, ssize_t r)
{
	char is[BLOCK];
	ssize_t got = weft_pread(file, is, BLOCK, BLOCK * writer, WEFT_FOREVER);

	EXPECT_EQ(got, BLOCK);
	for (ssize_t i = 0; i < BLOCK; i++)
		EXPECT_EQ(is[i], i < r ? new : old);
}

/* Tries once, with any deadline; writes the whole block if it was done in part or not at all. */
static void
write_block(int writer, char old, char new)
{
	int64_t patience = (int64_t)(weft_sim_random() % 200000);
	char block[BLOCK];
	ssize_t r;

	memset(block, new, BLOCK);
	r = weft_pwrite(file, block, BLOCK, BLOCK * writer, weft_in(patience));
	EXPECT((r > 0 && r <= BLOCK) || r == -ETIMEDOUT);
	expect_written(writer, old, new, r);
	for (ssize_t done = 0; done < BLOCK; done += r) {
		r = weft_pwrite(file, block + done, BLOCK - (size_t)done,
		    BLOCK * writer + done, WEFT_FOREVER);
		EXPECT(r > 0);
	}
	expect_written(writer, old, new, BLOCK);
}

static void
write_blocks(void *arg)
{
	int writer = (int)(intptr_t)arg;

	for (char i = 0; i < ROUNDS; i++) {
		write_block(writer, i, (char)(i + 1));
		if (weft_sim_random() % 4 == 0)
			EXPECT_EQ(weft_fsync(file, WEFT_FOREVER), 0);
	}
	weft_waitgroup_done(&all);
}

static void
files(void *arg)
{
	(void)arg;
	make_file();
	weft_waitgroup_add(&all, WRITERS);
	for (int i = 0; i < WRITERS; i++)
		EXPECT_EQ(weft_go(write_blocks, (void *)(intptr_t)i), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_close(file), 0);
}

TEST(a_write_is_told_as_it_was_done)
{
	run_seeds(NULL, files, SEEDS);
}

/* ---- Threads that end ---- */

static void
read_pipe(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char c;

	for (char i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(weft_read(fd, &c, 1, WEFT_FOREVER), 1);
		EXPECT_EQ(c, i);
	}
	EXPECT_EQ(weft_close(fd), 0);
	weft_waitgroup_done(&all);
}

/* Who ends with its thread takes what others have submitted there along. */
static void
end_a_thread(void *arg)
{
	(void)arg;
	weft_lock_thread();
	weft_waitgroup_done(&all);
}

static void
threads(void *arg)
{
	(void)arg;
	make_file();
	weft_waitgroup_add(&all, PIPES + WRITERS);
	for (int i = 0; i < PIPES; i++) {
		EXPECT_EQ(pipe(ends[i]), 0);
		EXPECT_EQ(weft_go(read_pipe, (void *)(intptr_t)ends[i][0]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		EXPECT_EQ(weft_go(write_blocks, (void *)(intptr_t)i), 0);
	for (char k = 0; k < ROUNDS; k++) {
		weft_waitgroup_add(&all, 1);
		EXPECT_EQ(weft_go(end_a_thread, NULL), 0);
		for (int i = 0; i < PIPES; i++)
			EXPECT_EQ(weft_write(ends[i][1], &k, 1, WEFT_FOREVER), 1);
		weft_sleep((int64_t)(weft_sim_random() % 20000));
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	for (int i = 0; i < PIPES; i++)
		EXPECT_EQ(weft_close(ends[i][1]), 0);
	EXPECT_EQ(weft_close(file), 0);
}

TEST(a_thread_that_ends_takes_no_request_along)
{
	run_seeds(NULL, threads, SEEDS);
}

/* ---- Reads that are given up ---- */

static void
read_in_vain(void *arg)
{
	int fd = (int)(intptr_t)arg;
	int64_t until;
	char c = 0;
	ssize_t r;

	do {
		until = weft_in((int64_t)(weft_sim_random() % 100000));
		r = weft_read(fd, &c, 1, until);
		EXPECT(r == 1 || (r == -ETIMEDOUT && weft_now() >= until));
	} while (r != 1);
	EXPECT_EQ(c, 'x');
	weft_waitgroup_done(&all);
}

/* If this fails, a wait that ended by its deadline has left something with the kernel. */
static void
deadlines(void *arg)
{
	(void)arg;
	weft_waitgroup_add(&all, PIPES);
	for (int i = 0; i < PIPES; i++) {
		EXPECT_EQ(pipe(ends[i]), 0);
		EXPECT_EQ(weft_go(read_in_vain, (void *)(intptr_t)ends[i][0]), 0);
	}
	weft_sleep((int64_t)(weft_sim_random() % 1000000));
	for (int i = 0; i < PIPES; i++)
		EXPECT_EQ(weft_write(ends[i][1], "x", 1, WEFT_FOREVER), 1);
	EXPECT_EQ(weft_waitgroup_wait(&all, weft_in((int64_t)60 * 1000000000)), 0);
	for (int i = 0; i < PIPES; i++) {
		EXPECT_EQ(weft_close(ends[i][0]), 0);
		EXPECT_EQ(weft_close(ends[i][1]), 0);
	}
}

TEST(a_wait_that_is_given_up_leaves_nothing)
{
	run_seeds(NULL, deadlines, SEEDS);
}

/* ---- Kicks ---- */

/* Up to half a second; mostly much less, so that threads come and go. */
static int64_t
some_time(void)
{
	return (int64_t)(weft_sim_random() % 1000) << weft_sim_random() % 20;
}

/* Sets timers that are due before the one that the thread in the poller knows of. */
static void
nap(void *arg)
{
	for (int i = 0; i < 8 * ROUNDS; i++) {
		int64_t ns = some_time();
		int64_t until = weft_in(ns);

		EXPECT_EQ(weft_sleep(ns), 0);
		EXPECT(weft_now() - until < (int64_t)10000000);
	}
	weft_waitgroup_done(arg);
}

static void
naps(void *arg)
{
	const int64_t hour = (int64_t)3600 * 1000000000;

	(void)arg;
	weft_waitgroup_add(&all, PIPES + 2);
	for (int i = 0; i < PIPES; i++) {
		EXPECT_EQ(pipe(ends[i]), 0);
		EXPECT_EQ(weft_go(read_pipe, (void *)(intptr_t)ends[i][0]), 0);
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(weft_go(nap, &all), 0);
	for (char k = 0; k < ROUNDS; k++) {
		for (int i = 0; i < PIPES; i++)
			EXPECT_EQ(weft_write(ends[i][1], &k, 1, WEFT_FOREVER), 1);
		weft_sleep(some_time());
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, weft_in(hour)), 0);
	for (int i = 0; i < PIPES; i++)
		EXPECT_EQ(weft_close(ends[i][1]), 0);
}

/*
 * A kick is for the thread that waits in the ring. If this fails, one that only looks has taken it
 * away (U7), nobody kicks any more, and timers wait for each other's time.
 */
TEST(a_kick_that_is_taken_by_another_is_put_back)
{
	weft_sim_options o = {.size = sizeof(o), .procs = 2};

	/* No stalls, and threads to be had: a timer is late by less than a millisecond. */
	o.faults = WEFT_SIM_SPURIOUS | WEFT_SIM_PARTIAL;
	EXPECT_EQ(setenv("WEFT_POLLER", "uring", 1), 0);
	run_seeds(&o, naps, SEEDS);
}

/* ---- A seed is a run ---- */

/* If this fails, a failure with io_uring that was found can't be looked at a second time. */
TEST(the_same_seed_is_the_same_run_with_io_uring)
{
	weft_sim_result a, b;

	EXPECT_EQ(setenv("WEFT_POLLER", "uring", 1), 0);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		EXPECT_EQ(weft_sim_run_with(NULL, seed, threads, NULL, &a), 0);
		EXPECT_EQ(weft_sim_run_with(NULL, seed, threads, NULL, &b), 0);
		EXPECT_EQ(a.hash, b.hash);
		EXPECT_EQ(a.steps, b.steps);
		EXPECT_EQ(a.elapsed_ns, b.elapsed_ns);
	}
}
