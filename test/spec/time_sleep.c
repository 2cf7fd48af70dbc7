/*
 * The clock and sleeping. SCENARIOS 171, 181, 198; RELIABILITY 48, 50.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "chan_util.h"

/* RELIABILITY 50: all deadlines are of this clock; any other would move with the wall clock. */
TEST(the_clock_is_the_monotonic_one)
{
	struct timespec before, after;
	int64_t now;

	EXPECT_EQ(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	now = weft_now();
	EXPECT_EQ(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	EXPECT(now >= before.tv_sec * SECOND + before.tv_nsec);
	EXPECT(now <= after.tv_sec * SECOND + after.tv_nsec);
}

/* RELIABILITY 48: a deadline that wrapped would be past. */
TEST(a_deadline_saturates)
{
	int64_t before = weft_now();
	int64_t in_a_second = weft_in(SECOND);

	EXPECT(in_a_second >= before + SECOND);
	EXPECT(in_a_second <= weft_now() + SECOND);
	EXPECT_EQ(weft_in(INT64_MAX), WEFT_FOREVER);
	EXPECT_EQ(weft_in(INT64_MAX - 1), WEFT_FOREVER);
	EXPECT(weft_in(0) >= before);
	EXPECT(weft_in(-1) < weft_now());
	EXPECT_EQ(weft_in(INT64_MIN), 0);
	EXPECT_EQ(weft_in(-weft_now() - SECOND), 0);
}

/* SCENARIOS 181. */
TEST(no_time_to_sleep_is_no_sleep)
{
	const int64_t none[] = { 0, -1, -SECOND, INT64_MIN };
	int64_t start = weft_now();

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		EXPECT_EQ(weft_sleep(none[i]), 0);
	EXPECT(weft_now() - start < 10 * SECOND);
}

static int
sleep_for(void *arg)
{
	int64_t ns;

	memcpy(&ns, arg, sizeof(ns));
	return weft_sleep(ns);
}

/* SCENARIOS 181: the longest sleeps last until they are cancelled. */
static void
long_sleeps(void)
{
	int64_t far[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX - weft_now(), INT64_MAX / 2 };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		EXPECT_EQ(weft_scope_go(s, sleep_for, &far[i]), 0);
	EXPECT_EQ(weft_scope_wait(s, weft_in(3 * MS)), -ETIMEDOUT);
	weft_scope_cancel(s, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), -ECANCELED);
	weft_scope_free(s);
}

TEST(the_longest_sleeps_last)
{
	on_1_2_4_procs(long_sleeps);
}

static _Atomic int signals;

static void
on_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&signals, 1);
}

static void *
send_signals(void *arg)
{
	_Atomic bool *stop = arg;
	struct dirent *e;
	DIR *d;

	while (!atomic_load(stop)) {
		/* Each thread is interrupted, also the one that waits in the poller. */
		d = opendir("/proc/self/task");
		EXPECT(d != NULL);
		while ((e = readdir(d)) != NULL)
			if (atoi(e->d_name) > 0)
				(void)syscall(SYS_tgkill, getpid(), atoi(e->d_name), SIGUSR1);
		closedir(d);
		usleep(1000);
	}
	return NULL;
}

/* SCENARIOS 171: a signal to the process interrupts system calls; it must not shorten a sleep. */
static void
signals_do_not_wake(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	_Atomic bool stop = false;
	int before = atomic_load(&signals);
	pthread_t thread;

	EXPECT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	EXPECT_EQ(pthread_create(&thread, NULL, send_signals, &stop), 0);
	for (int i = 0; i < 10; i++) {
		int64_t start = weft_now(), ns = i == 0 ? 100 * MS : 10 * MS;

		EXPECT_EQ(weft_sleep(ns), 0);
		EXPECT(weft_now() - start >= ns);
	}
	atomic_store(&stop, true);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT(atomic_load(&signals) > before);
}

TEST(signals_do_not_shorten_a_sleep)
{
	on_1_2_4_procs(signals_do_not_wake);
}

struct sleepers {
	_Atomic int awake;
	unsigned state;
};

static int
sleep_often(void *arg)
{
	struct sleepers *s = arg;
	unsigned state = (unsigned)weft_goid();

	for (int i = 0; i < 20; i++) {
		int64_t ns = (int64_t)small_rand(&state, 2000) * US;
		int64_t start = weft_now();

		EXPECT_EQ(weft_sleep(ns), 0);
		EXPECT(weft_now() - start >= ns);
	}
	atomic_fetch_add(&s->awake, 1);
	return 0;
}

/* Never early, and nobody is forgotten, with many at a time and different lengths. */
static void
many_sleep(void)
{
	struct sleepers s = { 0 };
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);
	int many = scaled(1000);

	for (int i = 0; i < many; i++)
		EXPECT_EQ(weft_scope_go(scope, sleep_often, &s), 0);
	EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&s.awake), many);
	weft_scope_free(scope);
}

TEST(many_sleepers_wake_and_none_early)
{
	on_1_2_4_procs(many_sleep);
}

/* A sleep holds no processor: with one, 50 sleeps of 20 ms take as long as one. */
TEST(sleeps_pass_at_the_same_time)
{
	int64_t ns = 20 * MS;
	int64_t start = weft_now();
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

	weft_gomaxprocs(1);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(weft_scope_go(scope, sleep_for, &ns), 0);
	EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
	EXPECT(weft_now() - start < 50 * ns);
	weft_scope_free(scope);
}

static void *
thread_sleeps(void *arg)
{
	int64_t start = weft_now();

	(void)arg;
	EXPECT_EQ(weft_sleep(5 * MS), 0);
	EXPECT(weft_now() - start >= 5 * MS);
	return NULL;
}

TEST(a_foreign_thread_can_sleep)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, thread_sleeps, NULL), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(pthread_join(thread[i], NULL), 0);
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* SCENARIOS 198: reported, not judged: how late short sleeps of an idle process are. */
TEST(short_sleeps_are_late_by)
{
	int64_t late[200];

	for (int i = 0; i < 200; i++) {
		int64_t start = weft_now();

		EXPECT_EQ(weft_sleep(50 * US), 0);
		late[i] = weft_now() - start - 50 * US;
		EXPECT(late[i] >= 0);
	}
	qsort(late, 200, sizeof(late[0]), by_value);
	printf("sleep of 50 us, late by: p10 %lld us, p50 %lld us, p90 %lld us, p99 %lld us\n",
	    (long long)(late[20] / US), (long long)(late[100] / US), (long long)(late[180] / US),
	    (long long)(late[198] / US));
}
