/*
 * New threads do not inherit what a goroutine or a plain thread did to its own: they are not cloned
 * from threads that may have been changed. Looked at by way of the priority, which every thread
 * has for itself and a clone inherits.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define LOOKERS 4
#define CHANGED 7	/* the nice value of a thread that was changed */

static atomic_int n_looked, n_changed;

static id_t
tid(void)
{
	return (id_t)syscall(SYS_gettid);
}

static void
change_thread(void)
{
	EXPECT_EQ(setpriority(PRIO_PROCESS, tid(), CHANGED), 0);
}

/* Stays on its thread long enough for the others to need threads of their own. */
static void
look_at_thread(void *arg)
{
	int64_t end = weft_in(30 * MS);

	(void)arg;
	while (weft_now() < end)
		usleep(1000);
	if (getpriority(PRIO_PROCESS, tid()) == CHANGED)
		atomic_fetch_add(&n_changed, 1);
	atomic_fetch_add(&n_looked, 1);
}

static void
start_lookers(void)
{
	for (int i = 0; i < LOOKERS; i++)
		weft_go(look_at_thread, NULL);
}

static void
await_lookers(void)
{
	while (atomic_load(&n_looked) < LOOKERS)
		weft_sleep(5 * MS);
	fprintf(stderr, "changed %d\n", atomic_load(&n_changed));
}

static void
locked(void *arg)
{
	(void)arg;
	weft_lock_thread();
	change_thread();
	start_lookers();
	while (atomic_load(&n_looked) < LOOKERS)
		weft_sleep(5 * MS);
}

static void
a_locked_goroutine(void *arg)
{
	weft_lock_thread();	/* keeps the first thread out of it */
	weft_gomaxprocs(2 * LOOKERS);
	weft_go(locked, arg);
	await_lookers();
}

static void
locked_and_gone(void *arg)
{
	(void)arg;
	weft_lock_thread();
	change_thread();
	start_lookers();
}

/* Its thread ends, and hands its P over to another, perhaps new. */
static void
the_end_of_a_locked_goroutine(void *arg)
{
	weft_lock_thread();
	weft_go(locked_and_gone, arg);
	await_lookers();
}

static void *
plain(void *arg)
{
	change_thread();
	start_lookers();
	await_lookers();
	return arg;
}

static void
a_plain_thread(void *arg)
{
	pthread_t thread;

	weft_lock_thread();
	weft_gomaxprocs(2 * LOOKERS);
	EXPECT_EQ(pthread_create(&thread, NULL, plain, arg), 0);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
}

static const struct {
	const char *name;
	void (*fn)(void *);
} starters[] = {
	{ "a locked goroutine", a_locked_goroutine },
	{ "a locked goroutine that ends", the_end_of_a_locked_goroutine },
	{ "a plain thread", a_plain_thread },
};

/* SCENARIOS 3.3: Go's template thread. */
TEST(threads_are_not_cloned_from_changed_ones)
{
	for (size_t i = 0; i < sizeof(starters) / sizeof(starters[0]); i++) {
		struct child_result r = child_run(starters[i].fn, NULL);

		if (r.status != 0)
			FAIL("%s: status %d, %s", starters[i].name, r.status, r.err);
		EXPECT_STR(r.err, "changed 0\n");
		child_result_free(&r);
	}
}
