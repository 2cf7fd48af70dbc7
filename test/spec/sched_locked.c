/*
 * Goroutines locked to their thread: what only one thread may do (a window system, a namespace, a
 * thread-local library) is done there and nowhere else, and what a goroutine did to its thread no
 * other gets to feel.
 *
 * ctest: nomembarrier
 */
#define _GNU_SOURCE
#include "sched_util.h"

#include "child.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
tid(void)
{
	return (int)syscall(SYS_gettid);
}

/*
 * SCENARIOS 84, 55: locks nest, and one unlock too many is ignored; the goroutine stays on its
 * thread over yields and sleeps.
 */
static void
locked_goroutine(void *arg)
{
	int me;

	(void)arg;
	weft_lock_thread();
	weft_lock_thread();
	me = tid();
	for (int i = 0; i < 10; i++) {
		weft_yield();
		EXPECT_EQ(tid(), me);
		weft_sleep(MS);
		EXPECT_EQ(tid(), me);
	}
	weft_unlock_thread();
	weft_sleep(MS);
	EXPECT_EQ(tid(), me);
	weft_unlock_thread();
	weft_unlock_thread();
	/* The one too many is not owed: one lock holds. */
	weft_lock_thread();
	me = tid();
	weft_sleep(MS);
	EXPECT_EQ(tid(), me);
	weft_unlock_thread();
	atomic_fetch_add(&count, 1);
}

static void
busy(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		weft_yield();
	atomic_fetch_add(&count, 1);
}

TEST(locked_goroutines_stay_on_their_thread)
{
	for (int procs = 1; procs <= 4; procs *= 2) {
		weft_gomaxprocs(procs);
		atomic_store(&count, 0);
		atomic_store(&stop, false);
		weft_go(busy, NULL);
		weft_go(busy, NULL);
		for (int i = 0; i < 8; i++)
			weft_go(locked_goroutine, NULL);
		wait_for(8);
		atomic_store(&stop, true);
		wait_for(10);
	}
}

/* SCENARIOS 85: a goroutine that ends while locked takes its thread with it. */
static atomic_int locked_tid;

static void
ends_locked(void *arg)
{
	(void)arg;
	weft_lock_thread();
	atomic_store(&locked_tid, tid());
}

static void
ends_locked_by_goexit(void *arg)
{
	ends_locked(arg);
	weft_goexit();
}

static bool
thread_exists(int t)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d", t);
	return access(path, F_OK) == 0;
}

TEST(a_thread_ends_with_its_locked_goroutine)
{
	weft_lock_thread();	/* main keeps the first thread, which never ends */
	for (int i = 0; i < 2; i++) {
		int64_t deadline = weft_in(5000 * MS * test_scale());

		atomic_store(&locked_tid, 0);
		weft_go(i == 0 ? ends_locked : ends_locked_by_goexit, NULL);
		while (atomic_load(&locked_tid) == 0)
			weft_sleep(MS);
		while (thread_exists(atomic_load(&locked_tid))) {
			EXPECT(weft_now() < deadline);
			weft_sleep(MS);
		}
	}
	weft_unlock_thread();
}

/* SCENARIOS 85: the process's first thread can't end; it is put away, and serves nobody. */
static void
not_on_the_first_thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		if (tid() == getpid())
			FAIL("on the first thread");
		weft_yield();
		usleep(100);
		weft_sleep(MS / 10);
	}
	atomic_fetch_add(&count, 1);
}

static void
expect_first_thread_is_away(void)
{
	atomic_store(&count, 0);
	for (int i = 0; i < 50; i++)
		weft_go(not_on_the_first_thread, NULL);
	wait_for(50);
	fprintf(stderr, "it serves nobody\n");
}

static void
end_locked_on_the_first_thread(void *how)
{
	if (tid() != getpid())
		return;
	weft_lock_thread();
	atomic_store(&stop, true);
	if (how != NULL)
		weft_goexit();
}

static void
others_end_on_the_first_thread(void *how)
{
	weft_chan *never = weft_chan_new(0, 0);

	weft_gomaxprocs(2);
	while (!atomic_load(&stop)) {
		weft_go(end_locked_on_the_first_thread, how);
		weft_sleep(MS / 10);
	}
	weft_sleep(MS);
	expect_first_thread_is_away();
	weft_chan_recv(never, NULL, WEFT_FOREVER);
}

static void
check_and_end(void *arg)
{
	(void)arg;
	expect_first_thread_is_away();
}

static void
main_leaves_locked(void *arg)
{
	(void)arg;
	weft_gomaxprocs(2);
	weft_lock_thread();
	weft_go(check_and_end, NULL);
	weft_goexit();
}

TEST(the_first_thread_serves_nobody_after_its_locked_goroutine)
{
	static const struct {
		void (*fn)(void *);
		void *arg;
		const char *end;
	} t[] = {
		/* That it is put away hides no deadlock. */
		{ others_end_on_the_first_thread, NULL, "all goroutines are asleep - deadlock!" },
		{ others_end_on_the_first_thread, (void *)1, "all goroutines are asleep" },
		{ main_leaves_locked, NULL, "no goroutines (main called runtime.Goexit)" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct child_result r = child_run(t[i].fn, t[i].arg);

		EXPECT_CONTAINS(r.err, "it serves nobody");
		EXPECT_CONTAINS(r.err, t[i].end);
		EXPECT_EQ(r.status, 2);
		child_result_free(&r);
	}
}

/* SCENARIOS 92: what a thread had is given back when it ends, by the hundred. */
static long
lines(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = 0;
	int c;

	EXPECT(f != NULL);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

TEST(threads_that_end_leave_nothing_behind)
{
	long before = 0, after;

	weft_lock_thread();
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 100; i++) {
			weft_go(ends_locked, NULL);
			if (i % 10 == 0)
				weft_sleep(MS);
		}
		while (weft_numgoroutine() > 1)
			weft_sleep(MS);
		if (round == 0)
			before = lines("/proc/self/maps");
	}
	after = lines("/proc/self/maps");
	/* A stack, its guard and a signal stack are three lines: 300 threads would be 900. */
	if (after > before + 150)
		FAIL("%ld mappings, %ld after 300 more threads", before, after);
	weft_unlock_thread();
}
