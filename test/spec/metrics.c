/*
 * Figures about the runtime. Dashboards and alarms are built on them: if one lies, somebody is
 * woken at night for nothing, or is not.
 */
#include <weft.h>

#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIGURES 64

/* All figures at one time. */
struct reading {
	weft_metric m[FIGURES];
	size_t n;
};

static void
take(struct reading *r)
{
	r->n = weft_metrics_read(r->m, FIGURES);
	EXPECT(r->n > 10 && r->n <= FIGURES);
}

static uint64_t
value(const struct reading *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->m[i].name, name) == 0)
			return r->m[i].value;
	FAIL("no figure %s", name);
}

/* The figure of this name, now. */
static uint64_t
figure(const char *name)
{
	struct reading r;

	take(&r);
	return value(&r, name);
}

static void
receive(void *arg)
{
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

static void
nothing(void *arg)
{
	(void)arg;
}

TEST(goroutines_are_counted_by_state)
{
	weft_chan *c = weft_chan_new(0, 0);
	struct reading r;

	/* At one time: on a busy machine main may lose its processor in between. */
	take(&r);
	EXPECT_EQ(value(&r, "/sched/goroutines:goroutines"), 1);
	EXPECT_EQ(value(&r, "/sched/goroutines/running:goroutines") +
	    value(&r, "/sched/goroutines/not-in-go:goroutines"), 1);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(weft_go(receive, c), 0);
	EXPECT_EQ(figure("/sched/goroutines:goroutines"), 51);
	while (figure("/sched/goroutines/waiting:goroutines") < 50)
		weft_yield();
	EXPECT_EQ(figure("/sched/goroutines/runnable:goroutines"), 0);
	EXPECT(figure("/memory/classes/heap/stacks:bytes") >= 50 * (size_t)16384);
	EXPECT(figure("/weft/stacks/mapped:bytes") > figure("/memory/classes/heap/stacks:bytes"));
	weft_chan_close(c);
	while (figure("/sched/goroutines:goroutines") > 1)
		weft_yield();
	EXPECT_EQ(figure("/sched/goroutines/waiting:goroutines"), 0);
	weft_chan_unref(c);
}

TEST(what_was_started_is_counted_for_ever)
{
	uint64_t before = figure("/sched/goroutines-created:goroutines");

	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(weft_go(nothing, NULL), 0);
	while (weft_numgoroutine() > 1)
		weft_yield();
	EXPECT_EQ(figure("/sched/goroutines-created:goroutines") - before, 1000);
}

/* On few threads, each of which measures one in eight; each waits for 10 ms. */
#define LOCK_WAITERS 200

static weft_mutex mutex;
static weft_rwmutex rwmutex;

static void
lock_and_go(void *arg)
{
	(void)arg;
	weft_mutex_lock(&mutex);
	weft_mutex_unlock(&mutex);
}

static void
read_and_go(void *arg)
{
	(void)arg;
	weft_rwmutex_rlock(&rwmutex);
	weft_rwmutex_runlock(&rwmutex);
}

/* How much the figure grows while so many wait for what we hold. */
static uint64_t
waited_for(void (*fn)(void *))
{
	uint64_t before = figure("/sync/mutex/wait/total:seconds");

	weft_mutex_lock(&mutex);
	weft_rwmutex_lock(&rwmutex);
	for (int i = 0; i < LOCK_WAITERS; i++)
		EXPECT_EQ(weft_go(fn, NULL), 0);
	while (figure("/sched/goroutines/waiting:goroutines") < LOCK_WAITERS)
		weft_yield();
	EXPECT_EQ(weft_sleep(10000000), 0);
	weft_mutex_unlock(&mutex);
	weft_rwmutex_unlock(&rwmutex);
	while (weft_numgoroutine() > 1)
		weft_yield();
	return figure("/sync/mutex/wait/total:seconds") - before;
}

TEST(waits_for_locks_are_sampled)
{
	weft_gomaxprocs(2);	/* each thread measures one in eight of its own */
	EXPECT(waited_for(lock_and_go) >= UINT64_C(8) * 10000000);
	EXPECT(waited_for(read_and_go) >= UINT64_C(8) * 10000000);
}

/* Each look at all processors' time is between two of ours at the clock. */
TEST(time_of_processors_is_idle_or_user)
{
	int64_t before[2], after[2], procs;
	uint64_t all[2], idle, user;
	struct reading r;

	procs = weft_gomaxprocs(3) != 0 ? weft_gomaxprocs(0) : 0;
	(void)figure("/cpu/classes/total:cpu-seconds");	/* from now on it is three */
	for (int i = 0; i < 2; i++) {
		before[i] = weft_now();
		all[i] = figure("/cpu/classes/total:cpu-seconds");
		after[i] = weft_now();
		weft_sleep(20000000);
	}
	EXPECT((int64_t)(all[1] - all[0]) >= procs * (before[1] - after[0]));
	EXPECT((int64_t)(all[1] - all[0]) <= procs * (after[1] - before[0]));

	/* Two of three have nothing to run, then we do not, then we do. */
	idle = figure("/cpu/classes/idle:cpu-seconds");
	while (figure("/cpu/classes/idle:cpu-seconds") < idle + 20000000)
		weft_sleep(1000000);
	user = figure("/cpu/classes/user:cpu-seconds");
	while (figure("/cpu/classes/user:cpu-seconds") < user + 20000000)
		continue;
	take(&r);
	EXPECT_EQ(value(&r, "/cpu/classes/total:cpu-seconds"),
	    value(&r, "/cpu/classes/idle:cpu-seconds") +
	    value(&r, "/cpu/classes/user:cpu-seconds"));
}

TEST(waits_to_run_are_sampled)
{
	weft_histogram h;
	uint64_t sum = 0;

	/* Each round lets the monitor's clock go on, and readies somebody. */
	do {
		weft_sleep(1000000);
		weft_go(nothing, NULL);
		weft_metrics_latency(&h);
	} while (h.total < 3);
	for (int i = 0; i < WEFT_LATENCY_BUCKETS; i++) {
		EXPECT(i == 0 || h.below[i] > h.below[i - 1]);
		sum += h.count[i];
	}
	EXPECT_EQ(sum, h.total);
	EXPECT(h.sum_ns > 0);
	EXPECT_EQ(h.below[0], 512);
	EXPECT_EQ(h.below[WEFT_LATENCY_BUCKETS - 1], INT64_MAX);
}

static void
sleep_in_libc(void *arg)
{
	weft_chan *done = arg;

	usleep(30000);
	weft_chan_close(done);
}

/* A call that blocks the thread, while others want the processor. */
TEST(detaches_and_hand_offs_are_counted)
{
	weft_gomaxprocs(1);
	while (figure("/weft/sched/detaches/blocked:threads") == 0) {
		weft_chan *done = weft_chan_new(0, 0);

		EXPECT_EQ(weft_go(sleep_in_libc, done), 0);
		while (weft_chan_recv(done, NULL, WEFT_NOW) != 0)
			weft_yield();
		weft_chan_unref(done);
	}
	EXPECT(figure("/weft/sched/hand-offs:processors") > 0);
}

static int n_waiting;

static void
wait_once(void *arg)
{
	n_waiting++;
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

/* On one processor, whoever is sent to is queued, and main goes on: its queue has 512 places. */
TEST(a_full_queue_is_counted)
{
	weft_chan *c = weft_chan_new(0, 0);

	weft_gomaxprocs(1);
	EXPECT_EQ(figure("/weft/sched/queue-overflows:overflows"), 0);
	while (figure("/weft/sched/queue-overflows:overflows") == 0) {
		n_waiting = 0;
		for (int i = 0; i < 800; i++)
			EXPECT_EQ(weft_go(wait_once, c), 0);
		while (n_waiting < 800)
			weft_yield();
		for (int i = 0; i < 800; i++)
			EXPECT_EQ(weft_chan_send(c, NULL, WEFT_FOREVER), 0);
	}
	weft_chan_unref(c);
}

static void *
read_for_long(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++)
		(void)figure("/sched/goroutines:goroutines");
	return NULL;
}

TEST(reading_stops_nobody_and_may_be_done_by_any_thread)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&t[i], NULL, read_for_long, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		EXPECT_EQ(weft_go(nothing, NULL), 0);
		weft_yield();
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_join(t[i], NULL), 0);
}

TEST(only_as_many_as_there_is_room_for)
{
	weft_metric m[2] = {{"x", "x", 9, 9}, {"x", "x", 9, 9}};
	size_t n = weft_metrics_read(NULL, 0);

	EXPECT(n > 10);
	EXPECT_EQ(weft_metrics_read(m, 1), n);
	EXPECT(m[0].kind != 9);
	EXPECT_EQ(m[1].kind, 9);
}

TEST(a_descriptor_that_takes_nothing_is_told)
{
	EXPECT_EQ(weft_metrics_write(-1), -5);
}

TEST(the_text_has_them_all)
{
	static char text[1 << 16];
	weft_metric m[FIGURES];
	FILE *f = tmpfile();
	ssize_t n;

	EXPECT(f != NULL);
	EXPECT_EQ(weft_metrics_write(fileno(f)), 0);
	n = pread(fileno(f), text, sizeof(text) - 1, 0);
	EXPECT(n > 0 && n < (ssize_t)sizeof(text) - 1);
	EXPECT_EQ(text[n - 1], '\n');
	EXPECT_CONTAINS(text, "\n# TYPE go_sched_goroutines_goroutines gauge\n"
	    "go_sched_goroutines_goroutines 1\n");
	EXPECT_CONTAINS(text, "\n# TYPE go_sched_goroutines_created_goroutines_total counter\n");
	EXPECT_CONTAINS(text, "\n# TYPE weft_sched_steals_batches_total counter\n");
	EXPECT_CONTAINS(text, "\n# TYPE go_sync_mutex_wait_total_seconds_total counter\n"
	    "go_sync_mutex_wait_total_seconds_total 0.000000000\n");
	EXPECT_CONTAINS(text, "\n# TYPE go_cpu_classes_idle_cpu_seconds_total counter\n");
	EXPECT_CONTAINS(text, "\ngo_cpu_classes_total_cpu_seconds_total ");
	EXPECT_CONTAINS(text, "\ngo_sched_latencies_seconds_bucket{le=\"0.000000512\"} ");
	EXPECT_CONTAINS(text, "\ngo_sched_latencies_seconds_bucket{le=\"+Inf\"} ");
	EXPECT_CONTAINS(text, "\ngo_sched_latencies_seconds_count ");
	for (size_t i = 0; i < weft_metrics_read(m, FIGURES); i++)
		EXPECT_CONTAINS(text, m[i].help);
	fclose(f);
}
