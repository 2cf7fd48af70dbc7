/*
 * The whole runtime under many seeds: every element arrives once, every wait ends, nothing is left.
 * What is asserted beside this in each run: no goroutine waits while a P is idle, no thread sleeps
 * that should not, all goroutines end. If one of these fails, replay it: WEFT_SIM_SEED=n.
 */
#include <weft.h>

#include "sim_util.h"

#include <errno.h>

/* Seeds per test in CI; tools/nightly: WEFT_SIM_SEEDS. */
enum { SEEDS = 200 };

static void
run_with(const weft_sim_options *o, void (*fn)(void *))
{
	run_seeds(o, fn, SEEDS);
}

static void
run(void (*fn)(void *))
{
	run_with(NULL, fn);
}

/* ---- Channels ---- */

enum { SENDERS = 4, EACH = 25 };

struct traffic {
	weft_chan *c;
	weft_waitgroup senders, receivers;
	int seen[SENDERS * EACH];
};

struct sender {
	struct traffic *t;
	int first;
};

static void
send_some(void *arg)
{
	const struct sender *s = arg;

	for (int i = 0; i < EACH; i++) {
		int v = s->first + i;

		EXPECT_EQ(weft_chan_send(s->t->c, &v, WEFT_FOREVER), 0);
		if (weft_sim_random() % 8 == 0)
			weft_yield();
	}
	weft_waitgroup_done(&s->t->senders);
}

static void
receive_all(void *arg)
{
	struct traffic *t = arg;
	int v;

	while (weft_chan_recv(t->c, &v, WEFT_FOREVER) == 1) {
		EXPECT(v >= 0 && v < SENDERS * EACH);
		t->seen[v]++;
	}
	weft_waitgroup_done(&t->receivers);
}

static void
conserve(size_t cap)
{
	static struct traffic t;
	static struct sender s[SENDERS];

	t.c = weft_chan_new(sizeof(int), cap);
	weft_waitgroup_add(&t.senders, SENDERS);
	weft_waitgroup_add(&t.receivers, 3);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_go(receive_all, &t), 0);
	for (int i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){.t = &t, .first = i * EACH};
		EXPECT_EQ(weft_go(send_some, &s[i]), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&t.senders, WEFT_FOREVER), 0);
	weft_chan_close(t.c);
	EXPECT_EQ(weft_waitgroup_wait(&t.receivers, WEFT_FOREVER), 0);
	for (int i = 0; i < SENDERS * EACH; i++)
		EXPECT_EQ(t.seen[i], 1);
	weft_chan_unref(t.c);
}

static void
unbuffered(void *arg)
{
	(void)arg;
	conserve(0);
}

static void
buffered(void *arg)
{
	(void)arg;
	conserve(1 + weft_sim_random() % 8);
}

TEST(unbuffered_channels_lose_nothing)
{
	run(unbuffered);
}

TEST(buffered_channels_lose_nothing)
{
	run(buffered);
}

/* ---- Select with deadlines ---- */

static weft_chan *ways[3];

static void
send_by_any_way(void *arg)
{
	int v = 1;

	for (int i = 0; i < EACH; i++) {
		weft_case c[] = {
			WEFT_SEND(ways[0], &v), WEFT_SEND(ways[1], &v), WEFT_SEND(ways[2], &v)};

		EXPECT(weft_select(c, 3, WEFT_FOREVER) >= 0);
	}
	weft_waitgroup_done(arg);
}

static void
select_under_deadlines(void *arg)
{
	weft_waitgroup senders = {0};
	int got = 0;

	(void)arg;
	weft_waitgroup_add(&senders, 3);
	for (int i = 0; i < 3; i++)
		ways[i] = weft_chan_new(sizeof(int), (size_t)i);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_go(send_by_any_way, &senders), 0);
	while (got < 3 * EACH) {
		weft_case c[] = {WEFT_RECV(ways[0], NULL), WEFT_RECV(ways[1], NULL),
		    WEFT_RECV(ways[2], NULL)};
		int64_t patience = (int64_t)(weft_sim_random() % 2000);
		int r = weft_select(c, 3, weft_in(patience));

		EXPECT(r >= 0 || r == -ETIMEDOUT);
		got += r >= 0;
	}
	EXPECT_EQ(weft_waitgroup_wait(&senders, WEFT_FOREVER), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(weft_chan_len(ways[i]), 0);
		weft_chan_unref(ways[i]);
	}
}

TEST(selects_under_deadlines_lose_nothing)
{
	run(select_under_deadlines);
}

/* ---- Locks ---- */

static weft_mutex lock;
static weft_rwmutex rw;
static weft_sem permits;
static int inside, readers, writers, holders, turns;

static void
take_turns(void *arg)
{
	weft_waitgroup *all = arg;

	for (int i = 0; i < EACH; i++) {
		weft_mutex_lock(&lock);
		EXPECT_EQ(inside++, 0);
		if (weft_sim_random() % 4 == 0)
			weft_yield();
		inside--;
		turns++;
		weft_mutex_unlock(&lock);

		if (weft_sim_random() % 4 == 0) {
			weft_rwmutex_lock(&rw);
			EXPECT_EQ(writers++, 0);
			EXPECT_EQ(readers, 0);
			weft_yield();
			writers--;
			weft_rwmutex_unlock(&rw);
		} else {
			weft_rwmutex_rlock(&rw);
			__atomic_add_fetch(&readers, 1, __ATOMIC_RELAXED);
			EXPECT_EQ(writers, 0);
			weft_yield();
			__atomic_sub_fetch(&readers, 1, __ATOMIC_RELAXED);
			weft_rwmutex_runlock(&rw);
		}
		if (weft_sem_acquire(&permits, 1, weft_in(1000)) == 0) {
			EXPECT(__atomic_add_fetch(&holders, 1, __ATOMIC_RELAXED) <= 2);
			weft_yield();
			__atomic_sub_fetch(&holders, 1, __ATOMIC_RELAXED);
			weft_sem_release(&permits, 1);
		}
	}
	weft_waitgroup_done(all);
}

static void
locks(void *arg)
{
	weft_waitgroup all = {0};

	(void)arg;
	weft_sem_init(&permits, 2);
	weft_waitgroup_add(&all, 5);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(weft_go(take_turns, &all), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(turns, 5 * EACH);
	EXPECT(weft_sem_tryacquire(&permits, 2));
}

TEST(locks_exclude_and_permits_come_back)
{
	run(locks);
}

/* ---- Timers and cancellation ---- */

static int fired;

static void
count_fired(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&fired, 1, __ATOMIC_RELAXED);
}

/* Stopped or fired, and never both. */
static void
timers(void *arg)
{
	int stopped = 0;

	(void)arg;
	for (int i = 0; i < 50; i++) {
		int64_t due = weft_in((int64_t)(weft_sim_random() % 100000));
		weft_timer *t = weft_timer_new(due, 0, count_fired, NULL);

		EXPECT(t != NULL);
		weft_sleep((int64_t)(weft_sim_random() % 100000));
		stopped += weft_timer_stop(t);
		weft_timer_free(t);
	}
	weft_sleep(10000000000);	/* a stalled thread may be late by 50 ms */
	EXPECT_EQ(fired + stopped, 50);
}

TEST(timers_fire_or_are_stopped)
{
	run(timers);
}

static weft_chan *never;

static int
wait_somehow(void *arg)
{
	int64_t until = weft_sim_random() % 2 == 0 ? WEFT_FOREVER : weft_in(100000);

	(void)arg;
	if (weft_sim_random() % 2 == 0)
		EXPECT(weft_chan_recv(never, NULL, until) < 0);
	else
		EXPECT_EQ(weft_sleep(1000000000000), -ECANCELED);
	return 0;
}

/* The scope may have been cancelled by its deadline. */
static void
started(int r)
{
	EXPECT(r == 0 || r == -ECANCELED);
}

static void
cancel(void *arg)
{
	weft_scope *outer, *inner;

	(void)arg;
	never = weft_chan_new(1, 0);
	for (int i = 0; i < 10; i++) {
		outer = weft_scope_new(NULL, WEFT_FOREVER);
		inner = weft_scope_new(outer, weft_in((int64_t)(weft_sim_random() % 200000)));
		for (int k = 0; k < 6; k++)
			started(weft_scope_go(k % 2 ? inner : outer, wait_somehow, NULL));
		weft_sleep((int64_t)(weft_sim_random() % 200000));
		weft_scope_cancel(outer, -EINTR);
		weft_scope_free(inner);
		weft_scope_free(outer);
	}
	weft_chan_unref(never);
}

TEST(cancelled_scopes_leave_nobody)
{
	run(cancel);
}

/* ---- Ps come and go ---- */

static void
busy(void *arg)
{
	for (int i = 0; i < 20; i++) {
		if (weft_sim_random() % 4 == 0)
			weft_sim_compute((int64_t)(weft_sim_random() % 20000000));
		else if (weft_sim_random() % 4 == 0)
			weft_sim_block((int64_t)(weft_sim_random() % 20000000));
		else
			weft_yield();
	}
	weft_waitgroup_done(arg);
}

static void
resize(void *arg)
{
	weft_waitgroup all = {0};

	(void)arg;
	weft_waitgroup_add(&all, 8);
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(weft_go(busy, &all), 0);
	for (int i = 0; i < 10; i++) {
		weft_gomaxprocs(1 + (int)(weft_sim_random() % 6));
		weft_sleep((int64_t)(weft_sim_random() % 5000000));
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
}

TEST(resizing_under_hogs_loses_nobody)
{
	run(resize);
}

/* ---- Work is taken at once ---- */

struct errand {
	int64_t brought, begun;
	weft_event done;
};

static void
do_errand(void *arg)
{
	struct errand *e = arg;

	e->begun = weft_now();
	weft_event_set(&e->done);
}

/*
 * Brings work at all moments at which the other processor's thread may be just going to sleep, and
 * then computes, so that nobody else can take it. The monitor would notice, but not so soon.
 */
static void
errands(void *arg)
{
	(void)arg;
	for (int i = 0; i < 30; i++) {
		struct errand e = {.begun = 0};

		weft_sleep(1000 + (int64_t)(weft_sim_random() % 20000));
		if (weft_sim_random() % 2 == 0)
			weft_sim_compute(20000000);	/* the others have long gone to sleep */
		EXPECT_EQ(weft_go(do_errand, &e), 0);
		e.brought = weft_now();
		weft_sim_compute(20000000);
		EXPECT_EQ(weft_event_wait(&e.done, WEFT_FOREVER), 0);
		EXPECT(e.begun - e.brought < 400000);
	}
}

TEST(work_that_is_brought_is_taken)
{
	weft_sim_options o = {.size = sizeof(o), .no_faults = true, .procs = 2};

	run_with(&o, errands);
}

/* ---- Timers that are set while the poller sleeps ---- */

static void
set_earlier(void *arg)
{
	for (int i = 0; i < 10; i++) {
		int64_t due, due_told;
		weft_timer *t;

		weft_sim_block(20000000);	/* the poller goes to sleep for a minute */
		due = weft_in(1000000);
		t = weft_timer_new(due, 0, NULL, NULL);
		EXPECT(t != NULL);
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &due_told, WEFT_FOREVER), 1);
		EXPECT_EQ(due_told, due);
		EXPECT(weft_now() - due < 1000000000);
		weft_timer_free(t);
	}
	weft_waitgroup_done(arg);
}

static void
earlier_timers(void *arg)
{
	weft_waitgroup done = {0};

	(void)arg;
	weft_waitgroup_add(&done, 1);
	EXPECT_EQ(weft_sim_thread(set_earlier, &done), 0);
	EXPECT_EQ(weft_waitgroup_wait(&done, weft_in((int64_t)60 * 1000000000)), 0);
}

TEST(an_earlier_timer_is_heeded)
{
	run(earlier_timers);
}
