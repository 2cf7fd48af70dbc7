/*
 * Periodic timers: phase, missed beats, limits.
 * SCENARIOS 175, 182, 188, 190, 191, 195; RELIABILITY 53.
 */
#include "chan_util.h"

static weft_timer *
ticker(int64_t deadline, int64_t period)
{
	weft_timer *t = weft_timer_new(deadline, period, NULL, NULL);

	EXPECT(t != NULL);
	return t;
}

static int64_t
recv_time(weft_timer *t)
{
	int64_t v = -1;

	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, weft_in(20 * SECOND)), 1);
	return v;
}

/*
 * SCENARIOS 175 (TestAfterTick): each beat carries its own time: first + k * period exactly, in
 * order and not early. An error that added up would make clocks of them drift.
 */
static void
ticks_keep_phase(void)
{
	int64_t first = weft_in(1 * MS), last = 0;
	weft_timer *t = ticker(first, 1 * MS);

	for (int i = 0; i < 20; i++) {
		int64_t v = recv_time(t);

		EXPECT(v <= weft_now());
		EXPECT(v > last);
		EXPECT_EQ((v - first) % (1 * MS), 0);
		EXPECT(v >= first + i * MS);
		last = v;
	}
	EXPECT(weft_timer_stop(t));
	weft_timer_free(t);
}

TEST(ticks_keep_phase_exactly)
{
	on_1_2_4_procs(ticks_keep_phase);
}

/* SCENARIOS 195 (TestTickTimes): a slow reader gets one old beat, then loses those in between. */
TEST(beats_that_nobody_reads_are_dropped)
{
	int64_t first = weft_in(1 * MS), v;
	weft_timer *t = ticker(first, 1 * MS);

	EXPECT_EQ(weft_sleep(30 * MS), 0);
	EXPECT_EQ(recv_time(t), first);
	v = recv_time(t);
	EXPECT(v >= first + 15 * MS);
	EXPECT_EQ((v - first) % (1 * MS), 0);
	weft_timer_free(t);
}

static int
burn(void *arg)
{
	_Atomic int *stop = arg;

	while (!atomic_load(stop))
		for (int i = 0; i < 100000; i++)
			__asm__ volatile("");
	return 0;
}

/* RELIABILITY 53, 45: while others compute, beats may be missed, but they do not shift. */
static void
ticks_under_load(void)
{
	_Atomic int stop = 0;
	weft_scope *burners = weft_scope_new(NULL, WEFT_FOREVER);
	int64_t first, v = 0;
	weft_timer *t;
	int n = 0;

	for (int i = 0; i < 2; i++)
		EXPECT_EQ(weft_scope_go(burners, burn, &stop), 0);
	first = weft_in(1 * MS);
	t = ticker(first, 1 * MS);
	while (v < first + 100 * MS) {
		v = recv_time(t);
		EXPECT_EQ((v - first) % (1 * MS), 0);
		n++;
	}
	EXPECT(n >= 2);
	EXPECT(n <= 101);
	atomic_store(&stop, 1);
	weft_scope_free(burners);
	weft_timer_free(t);
}

TEST(ticks_do_not_drift_under_load)
{
	on_1_2_4_procs(ticks_under_load);
}

/* A first beat in the past counts the phase from there; "now" has no phase but its own. */
TEST(a_ticker_may_begin_in_the_past)
{
	int64_t first = weft_now() - 1 * SECOND - 300, before, v;
	weft_timer *t = ticker(first, 1 * SECOND);

	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, WEFT_NOW), 1);
	EXPECT_EQ(v, first);
	before = weft_now();
	weft_timer_reset(t, WEFT_NOW, 2 * MS);
	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, WEFT_NOW), 1);
	EXPECT(v >= before && v <= weft_now());
	before = v;
	v = recv_time(t);
	EXPECT(v > before);
	EXPECT_EQ((v - before) % (2 * MS), 0);
	weft_timer_free(t);
}

/* It has fired, and is set for the next time: neither call may leave what nobody has received. */
TEST(a_beat_that_nobody_has_read_is_taken_back)
{
	for (int i = 0; i < 4; i++) {
		weft_timer *t = weft_timer_new(WEFT_NOW, 3600 * SECOND, NULL, NULL);

		EXPECT(t != NULL);
		if (i % 2 == 0)
			EXPECT(weft_timer_reset(t, weft_in(3600 * SECOND), i == 0 ? 0 : SECOND));
		else
			EXPECT(weft_timer_stop(t));
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), NULL, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_timer_stop(t), i % 2 == 0);
		weft_timer_free(t);
	}
}

/* Reset makes a ticker of a timer and back; stop leaves the channel open. */
TEST(reset_changes_the_period)
{
	int64_t first = weft_in(1 * MS), v;
	weft_timer *t = ticker(first, 0);

	EXPECT_EQ(recv_time(t), first);
	first = weft_in(1 * MS);
	EXPECT(!weft_timer_reset(t, first, 3 * MS));
	EXPECT_EQ(recv_time(t), first);
	v = recv_time(t);
	EXPECT_EQ((v - first) % (3 * MS), 0);
	first = weft_in(1 * MS);
	EXPECT(weft_timer_reset(t, first, 0));
	EXPECT_EQ(recv_time(t), first);
	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, weft_in(10 * MS)), -ETIMEDOUT);

	EXPECT(!weft_timer_reset(t, weft_in(1 * MS), 1 * MS));
	recv_time(t);
	EXPECT(weft_timer_stop(t));
	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, weft_in(5 * MS)), -ETIMEDOUT);
	EXPECT(!weft_timer_stop(t));
	weft_timer_free(t);
}

static void
add_one(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* A periodic function: one goroutine for each beat, none after stop but those already started. */
static void
function_ticks(void)
{
	_Atomic int ran = 0;
	weft_timer *t = weft_timer_new(weft_in(1 * MS), 500 * US, add_one, &ran);
	int n;

	EXPECT(t != NULL);
	await_count(&ran, 5);
	EXPECT(weft_timer_stop(t));
	/* What was started may still be on its way, but not for long. */
	for (int i = 0;; i++) {
		EXPECT(i < 100);
		n = atomic_load(&ran);
		EXPECT_EQ(weft_sleep(5 * MS), 0);
		if (atomic_load(&ran) == n)
			break;
	}
	EXPECT(!weft_timer_stop(t));
	weft_timer_free(t);
}

TEST(a_function_runs_on_each_beat)
{
	on_1_2_4_procs(function_ticks);
}

/* SCENARIOS 182: a next beat beyond the end of time never comes; it must not come at once. */
TEST(a_period_that_overflows_fires_once)
{
	const int64_t period[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX - weft_now(),
		INT64_MAX / 2 };

	for (size_t i = 0; i < sizeof(period) / sizeof(period[0]); i++) {
		int64_t first = weft_in(1 * MS);
		weft_timer *t = ticker(first, period[i]);

		EXPECT_EQ(recv_time(t), first);
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), NULL, weft_in(2 * MS)), -ETIMEDOUT);
		EXPECT(weft_timer_stop(t));
		weft_timer_free(t);
	}
}

static void
new_negative(void *arg)
{
	(void)arg;
	weft_timer_new(WEFT_NOW, -1, NULL, NULL);
}

static void
reset_negative(void *arg)
{
	weft_timer_reset(arg, WEFT_NOW, INT64_MIN);
}

/* SCENARIOS 190. (A period of 0 means once here, so there is no ticker without a period.) */
TEST(a_negative_period_panics)
{
	weft_timer *t = ticker(weft_in(3600 * SECOND), 1);
	char msg[100];

	EXPECT_EQ(weft_try(new_negative, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "negative period for weft_timer_new");
	EXPECT_EQ(weft_try(reset_negative, t, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "negative period for weft_timer_reset");
	/* And the timer is as it was. */
	EXPECT(weft_timer_stop(t));
	weft_timer_free(t);
}

/* SCENARIOS 191: tickers that come and go leave nothing behind that would slow the next. */
TEST(tickers_that_come_and_go_cost_nothing_later)
{
	int64_t start, early = 0, late = 0;

	for (int round = 0; round < 6; round++) {
		start = weft_now();
		for (int i = 0; i < scaled(20000); i++)
			weft_timer_free(ticker(weft_in(1 * SECOND), 1 * SECOND));
		*(round < 3 ? &early : &late) += weft_now() - start;
	}
	EXPECT(late < 20 * early + SECOND);
}

struct adjusted {
	_Atomic int running;
	_Atomic int stop;
};

static void
heavy_with_timers(void *arg)
{
	struct adjusted *a = arg;
	weft_timer *t[100];
	unsigned state = (unsigned)weft_goid();

	for (int i = 0; i < 100; i++)
		t[i] = ticker(weft_in((3600 + i) * SECOND), 0);
	while (!atomic_load(&a->stop)) {
		for (int i = 0; i < 100; i++)
			weft_timer_reset(
			    t[i], weft_in((1000 + small_rand(&state, 3000)) * SECOND), 0);
		weft_yield();
	}
	for (int i = 0; i < 100; i++)
		weft_timer_free(t[i]);
	atomic_fetch_sub(&a->running, 1);
}

/*
 * SCENARIOS 192: a heap of thousands that others keep moving must not keep a short timer from its
 * time. (TestLongAdjustTimers; a bound, not a measure: the machine has other things to do.)
 */
static void
long_adjustments(void)
{
	struct adjusted a = { .running = 40 };
	int64_t start;

	for (int i = 0; i < 40; i++)
		go(heavy_with_timers, &a);
	start = weft_now();
	for (int i = 0; i < 20; i++) {
		int64_t due = weft_in(1 * MS);
		weft_timer *t = ticker(due, 0);

		EXPECT_EQ(recv_time(t), due);
		weft_timer_free(t);
	}
	EXPECT(weft_now() - start < 10 * SECOND * test_scale());
	atomic_store(&a.stop, 1);
	while (atomic_load(&a.running) > 0)
		weft_sleep(1 * MS);
}

TEST(a_heap_of_thousands_in_motion_holds_up_nobody)
{
	on_1_2_4_procs(long_adjustments);
}

struct shared {
	weft_timer *t;
	weft_chan *end;
	_Atomic int left;
};

static int
read_shared(void *arg)
{
	struct shared *s = arg;
	weft_case cases[] = { WEFT_RECV(weft_timer_chan(s->t), NULL), WEFT_RECV(s->end, NULL) };

	while (weft_select(cases, 2, WEFT_FOREVER) == 0)
		if (atomic_fetch_sub(&s->left, 1) == 1)
			weft_chan_close(s->end);
	return 0;
}

static int
read_and_reset(void *arg)
{
	struct shared *s = arg;
	weft_case cases[] = { WEFT_RECV(weft_timer_chan(s->t), NULL), WEFT_RECV(s->end, NULL) };

	while (weft_select(cases, 2, WEFT_FOREVER) == 0) {
		if (atomic_fetch_sub(&s->left, 1) == 1)
			weft_chan_close(s->end);
		weft_timer_reset(s->t, weft_in(1), 0);
	}
	return 0;
}

/*
 * SCENARIOS 188: many goroutines on one timer's channel; each beat wakes one of them. A wake-up
 * that got lost, with the only value in the channel, would stop them all.
 */
static void
shared_timers(void)
{
	int (*const fns[])(void *) = { read_shared, read_and_reset };
	const int64_t period[] = { 1 * US, 0 };
	const int rounds[] = { scaled(100000), scaled(10000) };

	for (int k = 0; k < 2; k++) {
		weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);
		struct shared s = { .t = ticker(weft_in(1), period[k]), .end = chan_signal(0) };

		atomic_store(&s.left, rounds[k]);
		for (int i = 0; i < 4; i++)
			EXPECT_EQ(weft_scope_go(scope, fns[k], &s), 0);
		EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
		weft_scope_free(scope);
		weft_timer_free(s.t);
		weft_chan_unref(s.end);
	}
}

TEST(one_timer_shared_by_many_loses_no_wakeup)
{
	on_1_2_4_procs(shared_timers);
}
