/*
 * When the system gives no more threads: try again for a while, then say so; and the number of
 * processors follows what the system allows while the program runs.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

static atomic_int n_done;

static void
block_and_count(void *arg)
{
	usleep((useconds_t)(uintptr_t)arg);
	atomic_fetch_add(&n_done, 1);
}

/* A user of its own, who may have as many threads as it has now. False: that can't be had. */
static bool
allow_no_more_threads(void)
{
	struct rlimit none = { 1, 4096 };

	/* Nobody else has this number; privilege would pass the limit. */
	return setgid(64123) == 0 && setuid(64123) == 0 && setrlimit(RLIMIT_NPROC, &none) == 0;
}

static void *
allow_some_later(void *arg)
{
	struct timespec ts = { 0, 60000000 };
	struct rlimit some = { 4096, 4096 };

	/* The change of user interrupts it. */
	while (nanosleep(&ts, &ts) != 0)
		;
	EXPECT_EQ(setrlimit(RLIMIT_NPROC, &some), 0);
	return arg;
}

/* The shortage passes: 20 attempts, 1 to 20 ms apart, are made before giving up. */
static void
short_of_threads(void *passes)
{
	pthread_t t;

	weft_gomaxprocs(2);
	EXPECT_EQ(pthread_create(&t, NULL, (void *(*)(void *))allow_some_later, NULL), 0);
	if (passes == NULL)
		pthread_join(t, NULL);
	else
		pthread_detach(t);
	if (!allow_no_more_threads()) {
		fprintf(stderr, "no way\n");
		return;
	}
	for (int i = 0; i < 6; i++)
		weft_go(block_and_count, (void *)(uintptr_t)400000);
	while (atomic_load(&n_done) < 6)
		weft_sleep(5 * MS);
	fprintf(stderr, "all ran\n");
}

TEST(a_thread_that_can_not_be_had_is_tried_for_again)
{
	bool ran = false;

	/* A machine that stands still keeps the shortage up for longer than weft tries. */
	for (int i = 0; i < 20 && !ran; i++) {
		struct child_result r = child_run(short_of_threads, (void *)1);

		if (strstr(r.err, "no way") != NULL)
			SKIP("needs root, to become a user with a limit");
		ran = r.status == 0 && strstr(r.err, "all ran") != NULL;
		if (!ran)
			EXPECT_CONTAINS(r.err, "failed to create new OS thread");
		child_result_free(&r);
	}
	EXPECT(ran);
}

TEST(a_thread_that_is_not_to_be_had_is_fatal)
{
	struct child_result r = child_run(short_of_threads, NULL);

	if (strstr(r.err, "no way") != NULL)
		SKIP("needs root, to become a user with a limit");
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: runtime: failed to create new OS thread (have ");
	EXPECT_CONTAINS(r.err, "errno=11");
	EXPECT_CONTAINS(r.err, "ulimit -u");
	child_result_free(&r);
}

/* All threads of this process: which of them asks is the runtime's business. */
static void
restrict_all(const cpu_set_t *to)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	EXPECT(d != NULL);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			(void)sched_setaffinity(atoi(e->d_name), sizeof(*to), to);
	}
	closedir(d);
}

/* Fewer CPUs are allowed, then all again: within about a second there are as many Ps. */
static void
follow_affinity(void *arg)
{
	cpu_set_t all, one;
	int want = weft_gomaxprocs(0), first = 0;

	(void)arg;
	EXPECT_EQ(sched_getaffinity(getpid(), sizeof(all), &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	restrict_all(&one);
	for (int i = 0; weft_gomaxprocs(0) != 1; i++) {
		if (i > 1500)
			FAIL("still %d Ps", weft_gomaxprocs(0));
		weft_sleep(20 * MS);
	}
	restrict_all(&all);
	for (int i = 0; weft_gomaxprocs(0) != want; i++) {
		if (i > 1500)
			FAIL("only %d Ps", weft_gomaxprocs(0));
		weft_sleep(20 * MS);
	}
}

TEST(the_number_of_ps_follows_the_affinity)
{
	const char *env[] = { "WEFT_MAXPROCS", "GOMAXPROCS", NULL };
	struct child_options o = { .env = env };
	struct child_result r;

	if (weft_numcpu() < 2)
		SKIP("needs two processors");
	r = child_run_with(&o, follow_affinity, NULL);
	if (r.status != 0)
		FAIL("status %d: %s", r.status, r.err);
	child_result_free(&r);
}
