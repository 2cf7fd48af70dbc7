/*
 * Timers that fire while they are stopped, reset, freed and read, and heaps whose processor goes.
 * SCENARIOS 187, 194; RELIABILITY 40-43, 46, 47.
 */
#include <time.h>
#include "chan_util.h"
#include "metric_util.h"

static weft_timer *
timer_at(int64_t deadline)
{
	weft_timer *t = weft_timer_new(deadline, 0, NULL, NULL);

	EXPECT(t != NULL);
	return t;
}

static void
add_one(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* ---- SCENARIOS 187 ---- */

static int
stop_or_reset_loser(void *arg)
{
	unsigned state = (unsigned)weft_goid();

	(void)arg;
	/* Go's 1000 times 100, over three numbers of processors. */
	for (int i = 0; i < 34; i++) {
		int64_t deadline = weft_in(small_rand(&state, 1000) * US);
		weft_timer *t[2] = { timer_at(deadline), timer_at(deadline) };
		weft_case cases[] = { WEFT_RECV(weft_timer_chan(t[0]), NULL),
			WEFT_RECV(weft_timer_chan(t[1]), NULL) };
		int won = weft_select(cases, 2, WEFT_FOREVER);
		weft_timer *loser;

		EXPECT(won == 0 || won == 1);
		loser = t[1 - won];
		/* Its value was not received: so it was prevented, and can't be any more. */
		if (small_rand(&state, 2) == 0)
			EXPECT(weft_timer_stop(loser));
		else
			EXPECT(weft_timer_reset(loser, WEFT_FOREVER, 0));
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(loser), NULL, WEFT_NOW), -ETIMEDOUT);
		EXPECT(!weft_timer_stop(t[won]));
		weft_timer_free(t[0]);
		weft_timer_free(t[1]);
	}
	return 0;
}

static void
losers(void)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	int many = scaled(1000);

	for (int i = 0; i < many; i++)
		EXPECT_EQ(weft_scope_go(s, stop_or_reset_loser, NULL), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
}

TEST(the_loser_of_a_select_can_be_stopped)
{
	on_1_2_4_procs(losers);
}

/* ---- SCENARIOS 194 ---- */

struct listeners {
	weft_chan *c;
	weft_chan *other;
	weft_chan *entered;
	_Atomic int from_timer;
	_Atomic int from_other;
};

static int
listen_plain(void *arg)
{
	struct listeners *l = arg;

	signal_one(l->entered);
	EXPECT_EQ(weft_chan_recv(l->c, NULL, WEFT_FOREVER), 1);
	atomic_fetch_add(&l->from_timer, 1);
	return 0;
}

static int
listen_select(void *arg)
{
	struct listeners *l = arg;
	weft_case cases[] = { WEFT_RECV(l->c, NULL), WEFT_RECV(l->other, NULL) };
	int i;

	signal_one(l->entered);
	i = weft_select(cases, 2, WEFT_FOREVER);
	EXPECT(i == 0 || i == 1);
	atomic_fetch_add(i == 0 ? &l->from_timer : &l->from_other, 1);
	return 0;
}

static void
waiters(void)
{
	struct listeners l = { .other = chan_signal(0), .entered = chan_signal(0) };
	weft_timer *t = timer_at(weft_in(1000 * SECOND));
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	l.c = weft_timer_chan(t);

	/* Blocked while the timer goes to a later time, then to the next nanosecond: woken once. */
	EXPECT_EQ(weft_scope_go(s, listen_plain, &l), 0);
	await(l.entered, 1);
	weft_yield();
	EXPECT(weft_timer_reset(t, weft_in(2000 * SECOND), 0));
	EXPECT(weft_timer_reset(t, weft_in(1), 0));
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&l.from_timer), 1);
	EXPECT_EQ(weft_chan_recv(l.c, NULL, WEFT_NOW), -ETIMEDOUT);

	/* Two selects: one gets it, the other leaves cleanly by its other case. */
	weft_timer_reset(t, weft_in(1000 * SECOND), 0);
	EXPECT_EQ(weft_scope_go(s, listen_select, &l), 0);
	EXPECT_EQ(weft_scope_go(s, listen_select, &l), 0);
	await(l.entered, 2);
	weft_yield();
	EXPECT(weft_timer_reset(t, weft_in(1), 0));
	await_count(&l.from_timer, 2);
	EXPECT_EQ(weft_scope_wait(s, WEFT_NOW), -ETIMEDOUT);
	signal_one(l.other);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&l.from_timer), 2);
	EXPECT_EQ(atomic_load(&l.from_other), 1);

	/* Nobody is left on the channel: the next value stays for the next receiver. */
	weft_timer_reset(t, WEFT_NOW, 0);
	EXPECT_EQ(weft_chan_recv(l.c, NULL, WEFT_NOW), 1);
	weft_scope_free(s);
	weft_timer_free(t);
	weft_chan_unref(l.other);
	weft_chan_unref(l.entered);
}

TEST(waiters_are_woken_once_and_leave_cleanly)
{
	on_1_2_4_procs(waiters);
}

/* ---- RELIABILITY 41, 43, 46: stop, reset and fire at the same moment ---- */

struct storm {
	weft_timer *t;
	_Atomic int received;
	_Atomic int prevented;
	_Atomic int armed;
	_Atomic bool stop;
};

static int
receive(void *arg)
{
	struct storm *s = arg;

	for (;;) {
		int r = weft_chan_recv(weft_timer_chan(s->t), NULL, WEFT_FOREVER);

		if (r < 0)
			return 0;
		atomic_fetch_add(&s->received, 1);
	}
}

static int
modify(void *arg)
{
	struct storm *s = arg;
	unsigned state = (unsigned)weft_goid();

	for (int i = 0; i < scaled(3000); i++) {
		switch (small_rand(&state, 4)) {
		case 0:
			if (weft_timer_stop(s->t))
				atomic_fetch_add(&s->prevented, 1);
			break;
		case 1:
			if (weft_timer_reset(s->t, WEFT_NOW, 0))
				atomic_fetch_add(&s->prevented, 1);
			atomic_fetch_add(&s->armed, 1);
			break;
		default:
			if (weft_timer_reset(s->t, weft_in(small_rand(&state, 20) * US), 0))
				atomic_fetch_add(&s->prevented, 1);
			atomic_fetch_add(&s->armed, 1);
			break;
		}
		if (small_rand(&state, 8) == 0)
			weft_sleep(small_rand(&state, 20) * US);
		else if (small_rand(&state, 4) == 0)
			weft_yield();
	}
	return 0;
}

/*
 * RELIABILITY 46: every arming ends in exactly one of two ways: its value is received, or a stop or
 * reset says that it prevented it. One too few is a lost timer, one too many a stale value.
 */
static void
stop_reset_storm(void)
{
	struct storm s = { .t = timer_at(WEFT_FOREVER) };
	weft_scope *readers = weft_scope_new(NULL, WEFT_FOREVER);
	weft_scope *writers = weft_scope_new(NULL, WEFT_FOREVER);

	atomic_store(&s.armed, 1);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(weft_scope_go(readers, receive, &s), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_scope_go(writers, modify, &s), 0);
	EXPECT_EQ(weft_scope_wait(writers, WEFT_FOREVER), 0);
	if (weft_timer_stop(s.t))
		atomic_fetch_add(&s.prevented, 1);
	weft_scope_free(readers);
	EXPECT_EQ(atomic_load(&s.received) + atomic_load(&s.prevented), atomic_load(&s.armed));
	weft_scope_free(writers);
	weft_timer_free(s.t);
}

TEST(every_arming_is_received_or_prevented_once)
{
	on_1_2_4_procs(stop_reset_storm);
}

static int
modify_functions(void *arg)
{
	struct storm s = { 0 };
	unsigned state = (unsigned)weft_goid();

	(void)arg;
	s.t = weft_timer_new(WEFT_FOREVER, 0, add_one, &s.received);
	EXPECT(s.t != NULL);
	atomic_store(&s.armed, 1);
	for (int i = 0; i < 100; i++) {
		if (weft_timer_reset(s.t, weft_in(small_rand(&state, 50) * US), 0))
			atomic_fetch_add(&s.prevented, 1);
		atomic_fetch_add(&s.armed, 1);
		weft_sleep(small_rand(&state, 60) * US);
	}
	if (weft_timer_stop(s.t))
		atomic_fetch_add(&s.prevented, 1);
	weft_timer_free(s.t);
	await_count(&s.received, atomic_load(&s.armed) - atomic_load(&s.prevented));
	weft_sleep(100 * US);
	EXPECT_EQ(atomic_load(&s.received) + atomic_load(&s.prevented), atomic_load(&s.armed));
	return 0;
}

static void
function_storm(void)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	for (int i = 0; i < scaled(100); i++)
		EXPECT_EQ(weft_scope_go(s, modify_functions, NULL), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
}

TEST(every_function_runs_or_is_prevented)
{
	on_1_2_4_procs(function_storm);
}

/* RELIABILITY 47: freed at the moment at which it fires, on whichever processor. */
static int
free_as_it_fires(void *arg)
{
	unsigned state = (unsigned)weft_goid();

	for (int i = 0; i < scaled(500); i++) {
		int64_t ns = small_rand(&state, 30) * US;
		weft_timer *t;

		switch (small_rand(&state, 3)) {
		case 0:
			t = timer_at(weft_in(ns));
			break;
		case 1:
			t = weft_timer_new(weft_in(ns), 1 + ns / 10, NULL, NULL);
			break;
		default:
			t = weft_timer_new(weft_in(ns), 1 + ns / 2, add_one, arg);
			break;
		}
		EXPECT(t != NULL);
		weft_sleep(ns);
		weft_timer_free(t);
	}
	return 0;
}

static void
free_storm(void)
{
	static _Atomic int ran;
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	for (int i = 0; i < 8; i++)
		EXPECT_EQ(weft_scope_go(s, free_as_it_fires, &ran), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
}

TEST(a_timer_is_freed_as_it_fires)
{
	on_1_2_4_procs(free_storm);
}

/* ---- RELIABILITY 40: the processor of a timer goes away ---- */

struct spread {
	weft_timer *t[50];
	int64_t base;
	_Atomic int ran;
	_Atomic int armed;
	_Atomic int left;
};

static int
arm_here(void *arg)
{
	struct spread *s = arg;
	int i = atomic_fetch_add(&s->armed, 1);

	/* All at work at the same time, so that they are on different processors. */
	atomic_fetch_sub(&s->left, 1);
	for (int64_t end = weft_in(1 * MS); weft_now() < end;)
		;
	s->t[i] = weft_timer_new(s->base + i * 100 * US, 0, add_one, &s->ran);
	EXPECT(s->t[i] != NULL);
	return 0;
}

TEST(timers_of_processors_that_go_fire_elsewhere)
{
	for (int round = 0; round < 5; round++) {
		struct spread s = { .base = weft_in(30 * MS) };
		weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

		weft_gomaxprocs(8);
		for (int i = 0; i < 50; i++)
			EXPECT_EQ(weft_scope_go(scope, arm_here, &s), 0);
		EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
		weft_gomaxprocs(1);
		for (int i = 0; atomic_load(&s.ran) < 50; i++) {
			EXPECT(i < 20000);
			EXPECT_EQ(weft_sleep(1 * MS), 0);
		}
		for (int i = 0; i < 50; i++)
			weft_timer_free(s.t[i]);
		weft_scope_free(scope);
	}
}

/* ---- RELIABILITY 42 ---- */

static int64_t
cpu_time(void)
{
	struct timespec t;

	EXPECT_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* A stopped timer must not leave its time behind: threads would poll for it for ever. */
static void
idle_after_stop(void)
{
	weft_timer *t[20];
	uint64_t asked;
	int64_t before;

	for (int i = 0; i < 20; i++) {
		t[i] = timer_at(weft_in(3600 * SECOND));
		weft_timer_reset(t[i], weft_in(1 * MS + i * US), 0);
		weft_timer_stop(t[i]);
	}
	EXPECT_EQ(weft_sleep(20 * MS), 0);
	before = cpu_time();
	asked = metric("/weft/sched/polls:calls");
	EXPECT_EQ(weft_sleep(200 * MS), 0);
	EXPECT(cpu_time() - before < 40 * MS * test_scale());
	/* On a busy machine nobody computes that much. Who asks for ever asks for more. */
	asked = metric("/weft/sched/polls:calls") - asked;
	if (asked > 300)
		FAIL("the poller was asked %llu times", (unsigned long long)asked);
	for (int i = 0; i < 20; i++)
		weft_timer_free(t[i]);
}

TEST(a_stopped_timer_leaves_the_process_idle)
{
	on_1_2_4_procs(idle_after_stop);
}

/* ---- Deadlines of waits: timers that live on a goroutine's stack ---- */

struct handover {
	weft_chan *c;
	_Atomic int got;
	_Atomic int timeouts;
};

static int
recv_with_deadline(void *arg)
{
	struct handover *h = arg;
	unsigned state = (unsigned)weft_goid();

	for (;;) {
		int v = 0;
		int r = weft_chan_recv(h->c, &v, weft_in(small_rand(&state, 30) * US));

		if (r == 0)
			return 0;
		if (r == -ETIMEDOUT)
			atomic_fetch_add(&h->timeouts, 1);
		else
			atomic_fetch_add(&h->got, v);
	}
}

/* RELIABILITY 43: the element comes exactly as the deadline does: one of the two, never both. */
static void
deadline_meets_element(void)
{
	struct handover h = { .c = chan_int(0) };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	unsigned state = 1;
	int sent = 0;

	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_scope_go(s, recv_with_deadline, &h), 0);
	for (int i = 0; i < scaled(3000); i++) {
		int one = 1;

		if (weft_chan_send(h.c, &one, weft_in(small_rand(&state, 30) * US)) == 0)
			sent++;
		if (small_rand(&state, 2) == 0)
			weft_sleep(small_rand(&state, 30) * US);
	}
	weft_chan_close(h.c);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&h.got), sent);
	weft_scope_free(s);
	weft_chan_unref(h.c);
}

TEST(an_element_and_a_deadline_do_not_both_win)
{
	on_1_2_4_procs(deadline_meets_element);
}
