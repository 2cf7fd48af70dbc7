/*
 * Nothing that was started is lost, runs twice, or waits for somebody who has nothing to do with
 * it. What the catalogue of bugs calls conservation: each id exactly once. Who is lost shows as a
 * test that does not end.
 *
 * ctest: timeout=120
 */
#define _GNU_SOURCE
#include "sched_util.h"

#include "child.h"
#include "metric_util.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static weft_waitgroup group;

static void
compute_until_told(void *arg)
{
	(void)arg;
	atomic_fetch_add(&count, 1);
	while (!atomic_load(&stop))
		continue;
}

static void
done(void *arg)
{
	weft_waitgroup_done(arg);
}

/* Catalogue 3. What comes from outside must not be laid at the door of one that computes. */
static void *
submit_from_outside(void *work)
{
	int n = 10000 / test_scale();

	weft_waitgroup_add(work, n);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_go(done, work), 0);
	weft_waitgroup_wait(work, WEFT_FOREVER);
	return NULL;
}

TEST(work_from_outside_does_not_wait_for_one_that_computes)
{
	for (int procs = 1; procs <= 2; procs++) {
		weft_waitgroup work = { 0 };
		pthread_t t;

		weft_gomaxprocs(procs);
		atomic_store(&stop, false);
		atomic_store(&count, 0);
		weft_waitgroup_go(&group, compute_until_told, NULL);
		while (atomic_load(&count) == 0)
			weft_yield();
		EXPECT_EQ(pthread_create(&t, NULL, submit_from_outside, &work), 0);
		pthread_join(t, NULL);
		/* All have run, and it computes still. */
		atomic_store(&stop, true);
		weft_waitgroup_wait(&group, WEFT_FOREVER);
	}
}

/*
 * Catalogue 4. The goroutine that is to run next waits behind the one that has made it ready; and
 * that one blocks its thread until it has run.
 */
struct writer {
	weft_chan *told;
	int fd;
};

static void
write_when_told(void *arg)
{
	const struct writer *w = arg;

	if (w->told != NULL)
		EXPECT_EQ(weft_chan_recv(w->told, NULL, WEFT_FOREVER), 1);
	EXPECT_EQ(write(w->fd, "w", 1), 1);
	weft_waitgroup_done(&group);
}

TEST(who_is_readied_runs_while_its_waker_blocks_for_it)
{
	struct writer w = { 0 };
	int ends[2];
	char c;

	EXPECT_EQ(pipe(ends), 0);
	w.fd = ends[1];
	for (int i = 0; i < 40; i++) {
		weft_gomaxprocs(1 + i % 2);
		w.told = i < 20 ? NULL : weft_chan_new(0, 0);
		weft_waitgroup_add(&group, 1);
		EXPECT_EQ(weft_go(write_when_told, &w), 0);
		if (w.told != NULL)
			EXPECT_EQ(weft_chan_send(w.told, NULL, WEFT_FOREVER), 0);
		EXPECT_EQ(read(ends[0], &c, 1), 1);
		weft_waitgroup_wait(&group, WEFT_FOREVER);
		weft_chan_unref(w.told);
	}
	close(ends[0]);
	close(ends[1]);
}

/*
 * Catalogue 8, 32. By every way into the queues: the ring and what flows over its brim, the slot
 * of the next, the global queue, timers, threads from outside; while Ps come and go.
 */
enum { STARTERS = 6, EACH_MAX = 10000 };

static atomic_uchar seen[STARTERS][EACH_MAX];
static int each;

static void
mark(void *arg)
{
	atomic_fetch_add((atomic_uchar *)arg, 1);
	weft_waitgroup_done(&group);
}

static void
mark_later(void *arg)
{
	if ((uintptr_t)arg % 3 == 0)
		weft_yield();
	if ((uintptr_t)arg % 7 == 0)
		weft_sleep(1);
	mark(arg);
}

static void
start_all(void *arg)
{
	atomic_uchar *mine = arg;

	for (int i = 0; i < each; i++) {
		EXPECT_EQ(weft_go(i % 2 == 0 ? mark : mark_later, &mine[i]), 0);
		if (i % 1000 == 999)
			weft_yield();
	}
	weft_waitgroup_done(&group);
}

static void *
start_all_from_outside(void *arg)
{
	start_all(arg);
	return NULL;
}

enum { BRIM = 1000 };

static weft_chan *brim;
static atomic_uchar seen_at_brim[BRIM];

static void
mark_when_told(void *arg)
{
	EXPECT_EQ(weft_chan_recv(brim, NULL, WEFT_FOREVER), 1);
	mark(arg);
}

/*
 * One makes more ready than its ring holds, on the only P, unless that is taken from it meanwhile.
 */
static void
fill_to_the_brim(void)
{
	weft_gomaxprocs(1);
	brim = weft_chan_new(0, 0);
	weft_waitgroup_add(&group, BRIM);
	for (int i = 0; i < BRIM; i++) {
		atomic_store(&seen_at_brim[i], 0);
		EXPECT_EQ(weft_go(mark_when_told, &seen_at_brim[i]), 0);
	}
	for (int i = 0; i < BRIM; i++)
		EXPECT_EQ(weft_chan_send(brim, NULL, WEFT_FOREVER), 0);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	for (int i = 0; i < BRIM; i++)
		EXPECT_EQ(atomic_load(&seen_at_brim[i]), 1);
	weft_chan_unref(brim);
}

TEST(each_goroutine_runs_exactly_once)
{
	pthread_t threads[2];
	int procs = 0;

	each = EACH_MAX / test_scale();
	weft_gomaxprocs(1);
	weft_waitgroup_add(&group, STARTERS * (each + 1));
	for (int i = 0; i < STARTERS - 2; i++)
		EXPECT_EQ(weft_go(start_all, seen[i]), 0);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, start_all_from_outside,
		    seen[STARTERS - 2 + i]), 0);
	while (weft_waitgroup_wait(&group, weft_in(MS)) != 0)
		weft_gomaxprocs(1 + procs++ % 4);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < STARTERS; i++)
		for (int k = 0; k < each; k++)
			if (atomic_load(&seen[i][k]) != 1)
				FAIL("%d of starter %d ran %d times", k, i,
				    atomic_load(&seen[i][k]));
	do {
		fill_to_the_brim();
	} while (metric("/weft/sched/queue-overflows:overflows") == 0);
}

/*
 * Catalogue 11, 37, 118. A new process each time, whose first calls of all come from several
 * threads at once; and which ends in the middle of everything.
 */
static weft_chan *nobody;

static void
wait_for_ever(void *arg)
{
	switch ((uintptr_t)arg % 4) {
	case 0:
		weft_chan_recv(nobody, NULL, WEFT_FOREVER);
		break;
	case 1:
		weft_sleep(3600 * S);
		break;
	case 2:
		pause();
		break;
	default:
		for (;;)
			weft_yield();
	}
}

static void *
first_calls(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(weft_go(done, &group), 0);
	return NULL;
}

static void
begin_and_end(void *how)
{
	pthread_t t[3];

	nobody = weft_chan_new(0, 0);
	weft_waitgroup_add(&group, 16);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(pthread_create(&t[i], NULL, first_calls, NULL), 0);
	first_calls(NULL);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	for (uintptr_t i = 0; i < 16; i++)
		EXPECT_EQ(weft_go(wait_for_ever, (void *)i), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (uintptr_t i = 0; i < (uintptr_t)how; i++)
		weft_yield();
	if ((uintptr_t)how % 2 == 0)
		exit(0);
}

TEST(processes_begin_and_end_in_the_middle_of_everything)
{
	struct child_options o = { .limit_ms = 60000 };

	for (uintptr_t i = 0; i < (uintptr_t)(40 / test_scale()); i++) {
		struct child_result r = child_run_with(&o, begin_and_end, (void *)i);

		if (r.status != 0)
			FAIL("round %d: status %d, signal %d: %s", (int)i, r.status, r.signal,
			    r.err);
		child_result_free(&r);
	}
}
