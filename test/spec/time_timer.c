/*
 * One-shot timers: when they fire, what they send, what stop and reset say and prevent.
 * SCENARIOS 172, 174, 175, 177, 178, 180, 181, 184, 185, 195. (191: nothing is dropped here but
 * by weft_timer_free. 197: there is no virtual clock in this API.)
 */
#include "chan_util.h"

static weft_timer *
timer_at(int64_t deadline)
{
	weft_timer *t = weft_timer_new(deadline, 0, NULL, NULL);

	EXPECT(t != NULL);
	return t;
}

static weft_timer *
after_func(int64_t deadline, void (*fn)(void *), void *arg)
{
	weft_timer *t = weft_timer_new(deadline, 0, fn, arg);

	EXPECT(t != NULL);
	EXPECT(weft_timer_chan(t) == NULL);
	return t;
}

static int64_t
recv_time(weft_timer *t)
{
	int64_t v = -1;

	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, weft_in(20 * SECOND)), 1);
	return v;
}

static void
expect_nothing(weft_timer *t)
{
	int64_t v = -1;

	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(v, -1);
}

static void
add_one(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* SCENARIOS 175: what is sent is the time at which it was due, and it is not sent before. */
static void
fires_at_its_time(void)
{
	for (int i = 0; i < 10; i++) {
		int64_t deadline = weft_in(i * 500 * US);
		weft_timer *t = timer_at(deadline);

		EXPECT_EQ(recv_time(t), deadline);
		EXPECT(weft_now() >= deadline);
		expect_nothing(t);
		EXPECT(!weft_timer_stop(t));
		weft_timer_free(t);
	}
}

TEST(a_timer_sends_its_due_time_once)
{
	on_1_2_4_procs(fires_at_its_time);
}

/* SCENARIOS 195: read late, it still tells when it was due. */
TEST(a_value_read_late_tells_the_due_time)
{
	int64_t deadline = weft_in(2 * MS);
	weft_timer *t = timer_at(deadline);

	EXPECT_EQ(weft_sleep(30 * MS), 0);
	EXPECT_EQ(recv_time(t), deadline);
	weft_timer_free(t);
}

/* SCENARIOS 28: a timer's channel looks unbuffered, whether or not a value is waiting. */
TEST(a_timers_channel_has_no_length)
{
	weft_timer *t = timer_at(weft_in(3600 * SECOND));
	weft_chan *c = weft_timer_chan(t);

	EXPECT_EQ(weft_chan_len(c), 0);
	EXPECT_EQ(weft_chan_cap(c), 0);
	weft_timer_reset(t, WEFT_NOW, 0);
	EXPECT_EQ(weft_chan_len(c), 0);
	EXPECT_EQ(weft_chan_cap(c), 0);
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_NOW), 1);
	EXPECT(weft_timer_chan(NULL) == NULL);
	weft_timer_free(t);
}

/*
 * SCENARIOS 181; RELIABILITY 108: past is at once, so soon that a receive that does not wait gets
 * it.
 */
TEST(a_past_deadline_fires_at_once)
{
	int64_t earlier = weft_now();
	weft_timer *t = timer_at(earlier);
	int64_t v = 0, before;

	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, WEFT_NOW), 1);
	EXPECT_EQ(v, earlier);
	for (int i = 0; i < 3; i++) {
		const int64_t now[] = { WEFT_NOW, -1, INT64_MIN };

		/* No time is named: then it is the time of the call. */
		before = weft_now();
		EXPECT(!weft_timer_reset(t, now[i], 0));
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, WEFT_NOW), 1);
		EXPECT(v >= before && v <= weft_now());
	}
	weft_timer_free(t);
}

/*
 * RELIABILITY 108, at its other edge: the time comes while the only processor computes. Who then
 * asks without waiting must be told, though nobody has looked at the timers since.
 */
TEST(a_due_timer_is_seen_without_waiting)
{
	weft_gomaxprocs(1);
	for (int i = 0; i < 50; i++) {
		int64_t deadline = weft_in(100 * US), v = 0;
		weft_timer *t = timer_at(deadline);
		weft_case cases[] = { WEFT_RECV(NULL, NULL), WEFT_RECV(weft_timer_chan(t), &v),
			WEFT_RECV(weft_timer_chan(t), &v) };

		while (weft_now() < deadline)
			;
		if (i % 3 == 0)
			EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), &v, WEFT_NOW), 1);
		else if (i % 3 == 1)
			EXPECT(weft_select(cases, 2, WEFT_NOW) == 1);
		else
			EXPECT(weft_select(cases, 3, weft_now() - 1) >= 1);
		EXPECT_EQ(v, deadline);
		expect_nothing(t);
		weft_timer_free(t);
	}
}

/* SCENARIOS 181: too far is never, but pending: stop says that it prevented something, as in Go. */
TEST(the_most_distant_deadlines_never_fire)
{
	const int64_t far[] = { WEFT_FOREVER, WEFT_FOREVER - 1, weft_in(INT64_MAX), INT64_MAX / 2 };

	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		_Atomic int ran = 0;
		weft_timer *t = timer_at(far[i]);
		weft_timer *f = after_func(far[i], add_one, &ran);

		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), NULL, weft_in(1 * MS)), -ETIMEDOUT);
		EXPECT_EQ(atomic_load(&ran), 0);
		EXPECT(weft_timer_stop(t));
		EXPECT(!weft_timer_stop(t));
		EXPECT(weft_timer_stop(f));
		EXPECT(!weft_timer_reset(f, far[i], 0));
		EXPECT(weft_timer_reset(f, WEFT_NOW, 0));
		await_count(&ran, 1);
		EXPECT(!weft_timer_stop(f));
		weft_timer_free(t);
		weft_timer_free(f);
	}
}

/* ---- Functions ---- */

struct chain {
	weft_timer *timer[10];
	_Atomic int n;
	weft_chan *done;
};

static void
next_of_chain(void *arg)
{
	struct chain *c = arg;
	int i = atomic_fetch_add(&c->n, 1);

	if (i == 10) {
		signal_one(c->done);
		return;
	}
	c->timer[i] = after_func(WEFT_NOW, next_of_chain, c);
	weft_sleep(1 * SECOND);
}

/* SCENARIOS 172: each function has a goroutine of its own: none waits for the sleepers. */
static void
functions_do_not_wait(void)
{
	static struct chain c;
	int64_t start = weft_now();

	c = (struct chain){ .done = chan_signal(1) };
	next_of_chain(&c);
	/* The first call slept here for a second; the ten others did so at the same time. */
	await(c.done, 1);
	EXPECT(weft_now() - start < 8 * SECOND);
	EXPECT_EQ(weft_sleep(1100 * MS), 0);
	for (int i = 0; i < 10; i++)
		weft_timer_free(c.timer[i]);
	weft_chan_unref(c.done);
}

TEST(a_function_runs_in_a_goroutine_of_its_own)
{
	weft_gomaxprocs(1);
	functions_do_not_wait();
}

struct pong {
	weft_chan *c;
	_Atomic int stop;
};

static int
play(void *arg)
{
	struct pong *p = arg;

	while (!atomic_load(&p->stop)) {
		int v = 0;

		weft_chan_recv(p->c, &v, WEFT_FOREVER);
		try_send_int(p->c, v);
	}
	return 0;
}

/* SCENARIOS 174: two that keep the only processor busy in turns starve no timer. */
TEST(a_timer_fires_under_a_ping_pong)
{
	struct pong p = { .c = chan_int(1) };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	weft_timer *t;

	weft_gomaxprocs(1);
	t = after_func(weft_in(1 * US), add_one, &p.stop);
	try_send_int(p.c, 1);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(weft_scope_go(s, play, &p), 0);
	/* Whoever sees the stop leaves the ball to the other. */
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&p.stop), 1);
	weft_timer_free(t);
	weft_scope_free(s);
	weft_chan_unref(p.c);
}

static void
note_scope(void *arg)
{
	EXPECT(weft_scope_current() == NULL);
	signal_one(arg);
}

static int
arm_in_scope(void *arg)
{
	weft_timer *t = after_func(WEFT_NOW, note_scope, arg);

	await(arg, 1);
	weft_timer_free(t);
	return 0;
}

/* The goroutine of a timer belongs to no scope: nobody there would wait for it. */
TEST(a_function_runs_in_the_root_scope)
{
	weft_chan *c = chan_signal(0);
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	EXPECT_EQ(weft_scope_go(s, arm_in_scope, c), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
	weft_chan_unref(c);
}

struct slot {
	int at;
	weft_timer *timer;
	weft_chan *result;
};

static void
await_slot(void *arg)
{
	struct slot *s = arg;

	recv_time(s->timer);
	send_int(s->result, s->at);
}

static bool
fires_in_order(int64_t unit)
{
	static const int order[] = { 5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0 };
	enum { N = sizeof(order) / sizeof(order[0]) };
	struct slot slot[N];
	weft_chan *result = chan_int(N);
	int64_t base = weft_in(unit);
	int last = -1;
	bool sorted = true;

	for (int i = 0; i < N; i++) {
		slot[i] = (struct slot){ order[i], timer_at(base + order[i] * unit), result };
		go(await_slot, &slot[i]);
	}
	for (int i = 0; i < N; i++) {
		int at = recv_int(result);

		if (at < last)
			sorted = false;
		last = at;
	}
	for (int i = 0; i < N; i++)
		weft_timer_free(slot[i].timer);
	weft_chan_unref(result);
	return sorted;
}

/* SCENARIOS 177. Goroutines race once the timers have fired: as in Go, a few tries, ever slower. */
static void
queue_in_order(void)
{
	for (int64_t unit = 1 * MS; unit <= 64 * MS; unit *= 4)
		if (fires_in_order(unit))
			return;
	FAIL("timers never fired in the order of their times");
}

TEST(timers_fire_in_the_order_of_their_times)
{
	on_1_2_4_procs(queue_in_order);
}

/* ---- Stop and reset ---- */

/* SCENARIOS 178: what stop says it has prevented does not run, and all else does. */
static void
stops_all(void)
{
	enum { N = 100 };
	_Atomic int ran = 0;
	weft_timer *t[N];
	int64_t deadline = weft_in(40 * MS);
	int late = 0;

	for (int i = 0; i < N; i++)
		t[i] = after_func(deadline, add_one, &ran);
	EXPECT_EQ(weft_sleep(10 * MS), 0);
	for (int i = 0; i < N; i++)
		if (!weft_timer_stop(t[i]))
			late++;
	if (weft_now() < deadline)
		EXPECT_EQ(late, 0);
	EXPECT_EQ(weft_sleep(deadline - weft_now() + 5 * MS), 0);
	await_count(&ran, late);
	EXPECT_EQ(atomic_load(&ran), late);
	for (int i = 0; i < N; i++)
		weft_timer_free(t[i]);
}

TEST(stopped_functions_do_not_run)
{
	on_1_2_4_procs(stops_all);
}

/* SCENARIOS 180. */
static void
reset_moves(void)
{
	int64_t far = weft_in(3600 * SECOND), soon;
	weft_timer *t = timer_at(far);

	EXPECT(weft_timer_reset(t, far + 1, 0));
	soon = weft_in(2 * MS);
	EXPECT(weft_timer_reset(t, soon, 0));
	EXPECT_EQ(recv_time(t), soon);
	EXPECT(weft_now() >= soon);

	/* It has expired and been received: nothing is prevented, but it starts anew. */
	soon = weft_in(2 * MS);
	EXPECT(!weft_timer_reset(t, soon, 0));
	EXPECT_EQ(recv_time(t), soon);
	EXPECT(!weft_timer_stop(t));
	weft_timer_free(t);
}

TEST(reset_says_whether_it_was_pending_and_moves_it)
{
	on_1_2_4_procs(reset_moves);
}

/* Go 1.23: a value that is due but unread is taken back, and counts as prevented. */
TEST(no_stale_value_after_stop_or_reset)
{
	weft_timer *t = timer_at(WEFT_NOW);
	int64_t soon;

	EXPECT(weft_timer_stop(t));
	expect_nothing(t);
	EXPECT(!weft_timer_stop(t));

	weft_timer_reset(t, WEFT_NOW, 0);
	soon = weft_in(3 * MS);
	EXPECT(weft_timer_reset(t, soon, 0));
	EXPECT_EQ(recv_time(t), soon);

	/* Fired by the heap, not by the call. */
	EXPECT(!weft_timer_reset(t, weft_in(1 * MS), 0));
	EXPECT_EQ(weft_sleep(10 * MS), 0);
	EXPECT(weft_timer_stop(t));
	expect_nothing(t);
	weft_timer_free(t);
}

/* SCENARIOS 185: the heap must notice that a timer has become the first of all. */
static void
modified_earlier(void)
{
	int64_t start = weft_now();

	for (int i = 0; i < scaled(1000); i++) {
		weft_timer *t = timer_at(weft_in(3600 * SECOND));

		for (int k = 0; k < 10; k++) {
			weft_timer_stop(t);
			weft_timer_reset(t, weft_now() - 1000 * SECOND, 0);
		}
		recv_time(t);
		weft_timer_free(t);
	}
	EXPECT(weft_now() - start < 20 * SECOND);
}

TEST(a_timer_moved_to_the_past_fires)
{
	on_1_2_4_procs(modified_earlier);
}

/* The same through the heap: moved forward while a thread already waits for a later one. */
static void
moved_forward(void)
{
	weft_timer *others[20];

	for (int i = 0; i < 20; i++)
		others[i] = timer_at(weft_in((1000 + i) * SECOND));
	for (int i = 0; i < scaled(100); i++) {
		weft_timer *t = timer_at(weft_in(3600 * SECOND));
		int64_t soon;

		weft_timer_reset(t, weft_in(500 * SECOND), 0);
		soon = weft_in(50 * US);
		weft_timer_reset(t, soon, 0);
		EXPECT_EQ(recv_time(t), soon);
		weft_timer_free(t);
	}
	for (int i = 0; i < 20; i++)
		weft_timer_free(others[i]);
}

TEST(a_timer_moved_forward_wakes_who_waits_for_a_later_one)
{
	on_1_2_4_procs(moved_forward);
}

static void
stop_nil(void *arg)
{
	(void)arg;
	weft_timer_stop(NULL);
}

static void
reset_nil(void *arg)
{
	(void)arg;
	weft_timer_reset(NULL, WEFT_NOW, 0);
}

/* SCENARIOS 184, first half. */
TEST(no_timer_to_stop_panics)
{
	char msg[100];

	EXPECT_EQ(weft_try(stop_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "time: Stop called on uninitialized Timer");
	EXPECT_EQ(weft_try(reset_nil, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "time: Reset called on uninitialized Timer");
	weft_timer_free(NULL);
}

/* SCENARIOS 184, second half: of very many timers without delay none is lost. */
static void
zero_timers(void)
{
	_Atomic int ran = 0;
	weft_timer *t = timer_at(WEFT_NOW), *f;
	int many = scaled(200000);

	for (int i = 0; i < many; i++) {
		EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), NULL, WEFT_FOREVER), 1);
		EXPECT(!weft_timer_reset(t, WEFT_NOW, 0));
	}
	weft_timer_free(t);

	f = after_func(WEFT_NOW, add_one, &ran);
	for (int i = 1; i < many; i++) {
		EXPECT(!weft_timer_reset(f, WEFT_NOW, 0));
		if (i % 100 == 0)
			weft_yield();
	}
	await_count(&ran, many);
	weft_timer_free(f);
	EXPECT_EQ(atomic_load(&ran), many);
}

TEST(timers_without_delay_all_fire)
{
	on_1_2_4_procs(zero_timers);
}

/* ---- Free ---- */

static void
recv_until_freed(void *arg)
{
	struct slot *s = arg;
	weft_chan *c = weft_chan_ref(weft_timer_chan(s->timer));
	weft_case cases[] = { WEFT_RECV(c, NULL), WEFT_RECV(NULL, NULL) };

	signal_one(s->result);
	if (s->at % 2 == 0)
		EXPECT_EQ(weft_chan_recv(c, NULL, weft_in(3600 * SECOND)), 0);
	else
		EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
	EXPECT_EQ(cases[0].res, 0);
	weft_chan_unref(c);
	signal_one(s->result);
}

/* Legal in every state; who waits on the channel, with a reference, is told instead of left. */
static void
free_in_every_state(void)
{
	_Atomic int ran = 0;
	struct slot slot[4];
	weft_chan *c;
	int n = 0;

	weft_timer_free(timer_at(weft_in(3600 * SECOND)));		/* pending */
	weft_timer_free(timer_at(WEFT_FOREVER));
	weft_timer_free(timer_at(WEFT_NOW));				/* due, unread */
	weft_timer_free(weft_timer_new(WEFT_NOW, 1 * US, NULL, NULL));	/* firing again and again */
	weft_timer_free(after_func(weft_in(3600 * SECOND), add_one, &ran));
	weft_timer_free(after_func(WEFT_NOW, add_one, &ran));
	await_count(&ran, 1);

	/* The channel outlives its timer where somebody has a reference. */
	slot[0].timer = timer_at(weft_in(3600 * SECOND));
	c = weft_chan_ref(weft_timer_chan(slot[0].timer));
	weft_timer_free(slot[0].timer);
	EXPECT_EQ(weft_chan_recv(c, NULL, WEFT_FOREVER), 0);
	weft_chan_unref(c);

	c = chan_signal(0);
	slot[0].timer = timer_at(weft_in(3600 * SECOND));
	for (int i = 0; i < 4; i++) {
		slot[i] = (struct slot){ i, slot[0].timer, c };
		go(recv_until_freed, &slot[i]);
	}
	await(c, 4);
	for (; n < 20; n++)
		weft_yield();
	weft_timer_free(slot[0].timer);
	await(c, 4);
	weft_chan_unref(c);
	EXPECT_EQ(atomic_load(&ran), 1);
}

TEST(a_timer_can_be_freed_in_every_state)
{
	on_1_2_4_procs(free_in_every_state);
}
