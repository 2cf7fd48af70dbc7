/*
 * weft_event: a broadcast to any number of goroutines, threads and selects.
 */
#include "sync_util.h"

static void
wait_forever(void *e)
{
	EXPECT_EQ(weft_event_wait(e, WEFT_FOREVER), 0);
}

static void
set_and_wait(void)
{
	weft_event e = { 0 };
	struct crew c;

	EXPECT_EQ(weft_event_wait(&e, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_event_wait(&e, weft_in(1 * MS)), -ETIMEDOUT);
	EXPECT(!weft_event_reset(&e));
	crew_start(&c, wait_forever, &e, 20, 5);
	weft_sleep(1 * MS);
	EXPECT_EQ(atomic_load(&c.ended), 0);
	EXPECT(weft_event_set(&e));
	crew_wait(&c);
	/* It stays so, and setting it again is nothing new. */
	EXPECT(!weft_event_set(&e));
	EXPECT_EQ(weft_event_wait(&e, WEFT_NOW), 0);
	crew_run(wait_forever, &e, 4, 2);
}

/* Whoever waits goes on, and whoever comes later does not wait: else a start signal is missed. */
TEST(set_releases_all_now_and_later)
{
	on_1_2_4_procs(set_and_wait);
}

static void
reset_and_wait(void)
{
	weft_event e = { 0 };

	for (int i = 0; i < scaled(200); i++) {
		struct crew c;

		crew_start(&c, wait_forever, &e, 6, 1);
		if (i % 2 != 0)
			weft_yield();
		EXPECT(weft_event_set(&e));
		EXPECT_EQ(weft_event_wait(&e, WEFT_NOW), 0);
		if (i % 3 == 0)
			while (!crew_has_ended(&c))
				weft_yield();
		/* Who has been released stays so; who comes now waits for the next set. */
		EXPECT(weft_event_reset(&e));
		EXPECT_EQ(weft_event_wait(&e, WEFT_NOW), -ETIMEDOUT);
		weft_event_set(&e);
		crew_wait(&c);
		EXPECT(weft_event_reset(&e));
	}
}

TEST(reset_makes_later_ones_wait)
{
	on_1_2_4_procs(reset_and_wait);
}

struct in_scope {
	weft_event e;
	_Atomic int ended;
};

static int
wait_in_scope(void *arg)
{
	struct in_scope *s = arg;

	EXPECT_EQ(weft_event_wait(&s->e, weft_in(3600 * SECOND)), -ECANCELED);
	EXPECT_EQ(weft_event_wait(&s->e, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_event_wait(&s->e, WEFT_NOW), -ECANCELED);
	atomic_fetch_add(&s->ended, 1);
	return 0;
}

/* A wait that its scope has ended is taken off: the set that follows must not meet its frame. */
TEST(a_cancelled_wait_leaves_nothing_behind)
{
	struct in_scope s = { .ended = 0 };
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

	for (int i = 0; i < 5; i++)
		EXPECT_EQ(weft_scope_go(scope, wait_in_scope, &s), 0);
	weft_sleep(1 * MS);
	weft_scope_cancel(scope, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
	EXPECT_EQ(s.ended, 5);
	EXPECT(weft_event_set(&s.e));
	weft_scope_free(scope);
}

/* ---- In a select ---- */

struct chooser {
	weft_event e, other;
	weft_chan *c;
	int rounds;
	_Atomic int events, elems, timeouts;
};

static void
select_one_of(void *arg)
{
	struct chooser *ch = arg;
	int v;
	weft_case cases[] = { WEFT_WAIT(&ch->e), WEFT_RECV(ch->c, &v), WEFT_WAIT(&ch->other),
		WEFT_WAIT(&ch->e), WEFT_WAIT(NULL) };
	int r = weft_select(cases, 5, WEFT_FOREVER);

	switch (r) {
	case 0:
	case 3:
		EXPECT_EQ(cases[r].res, 0);
		atomic_fetch_add(&ch->events, 1);
		break;
	case 1:
		EXPECT_EQ(cases[r].res, 1);
		EXPECT_EQ(v, 7);
		atomic_fetch_add(&ch->elems, 1);
		break;
	default:
		FAIL("case %d", r);
	}
}

static void
events_in_select(void)
{
	for (int i = 0; i < scaled(100); i++) {
		struct chooser ch = { .c = weft_chan_new(sizeof(int), 0) };
		struct crew c;
		int v = 7;

		crew_start(&c, select_one_of, &ch, 9, 3);
		/* Exactly these take an element, the rest see the event. */
		for (int k = 0; k < 4; k++)
			EXPECT_EQ(weft_chan_send(ch.c, &v, WEFT_FOREVER), 0);
		EXPECT(weft_event_set(&ch.e));
		crew_wait(&c);
		EXPECT_EQ(ch.elems, 4);
		EXPECT_EQ(ch.events, 5);
		/* Nobody is left in the queue of the other one. */
		EXPECT(weft_event_set(&ch.other));
		weft_chan_unref(ch.c);
	}
}

TEST(a_select_waits_for_events_and_channels)
{
	on_1_2_4_procs(events_in_select);
}

TEST(a_select_picks_evenly_between_an_event_and_a_channel)
{
	weft_event e = { 0 };
	weft_chan *c = weft_chan_new(0, 0);
	int went[2] = { 0 };

	weft_event_set(&e);
	weft_chan_close(c);
	for (int i = 0; i < 4000; i++) {
		weft_case cases[] = { WEFT_WAIT(&e), WEFT_RECV(c, NULL) };

		went[weft_select(cases, 2, WEFT_NOW)]++;
	}
	/* 2000 +- 8 standard deviations. */
	EXPECT(went[0] > 1750 && went[0] < 2250);
	weft_chan_unref(c);
}

TEST(a_select_of_one_event_is_a_wait)
{
	weft_event e = { 0 };
	weft_case one[] = { WEFT_WAIT(&e) };

	EXPECT_EQ(weft_select(one, 1, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_select(one, 1, weft_in(1 * MS)), -ETIMEDOUT);
	weft_event_set(&e);
	EXPECT_EQ(weft_select(one, 1, WEFT_FOREVER), 0);
	EXPECT_EQ(one[0].res, 0);
}

/* ---- Races ---- */

static void
wait_a_little(void *arg)
{
	struct chooser *ch = arg;

	for (int i = 0; i < ch->rounds; i++) {
		weft_case cases[] = { WEFT_WAIT(&ch->e), WEFT_WAIT(&ch->other) };
		int64_t soon = weft_in((i % 20) * US);
		int r = i % 2 != 0 ? weft_event_wait(&ch->e, soon) : weft_select(cases, 2, soon);

		EXPECT(r == 0 || r == 1 || r == -ETIMEDOUT);
		if (r == -ETIMEDOUT)
			atomic_fetch_add(&ch->timeouts, 1);
		else
			atomic_fetch_add(&ch->events, 1);
	}
}

static void
deadlines_meet_sets(void)
{
	struct chooser ch = { .rounds = scaled(1000) };
	struct crew c;

	crew_start(&c, wait_a_little, &ch, 12, 4);
	for (int i = 0; !crew_has_ended(&c); i++) {
		weft_event_set(i % 4 != 0 ? &ch.e : &ch.other);
		compute((i % 7) * US);
		weft_event_reset(&ch.e);
		weft_event_reset(&ch.other);
		weft_yield();
	}
	crew_wait(&c);
	EXPECT_EQ(ch.events + ch.timeouts, 12 * ch.rounds);
}

/* A waiter that gives up while a setter has it in hand must not leave its frame too early. */
TEST(deadlines_and_sets_at_the_same_moment)
{
	on_1_2_4_procs(deadlines_meet_sets);
}

static void
set_it(void *e)
{
	EXPECT(weft_event_set(e));
}

static void
wait_and_free(void)
{
	for (int i = 0; i < scaled(5000); i++) {
		weft_event *e = calloc(1, sizeof(*e));
		weft_case cases[] = { WEFT_WAIT(e), WEFT_RECV(NULL, NULL), WEFT_WAIT(e) };

		go(set_it, e);
		if (i % 8 == 0)
			weft_yield();
		if (i % 3 == 0)
			EXPECT(weft_select(cases, 3, WEFT_FOREVER) >= 0);
		else if (i % 3 == 1)
			EXPECT_EQ(weft_event_wait(e, WEFT_FOREVER), 0);
		else
			while (weft_event_wait(e, WEFT_NOW) != 0)
				weft_yield();
		memset(e, 0x5a, sizeof(*e));
		free(e);
	}
}

/* An event on the stack of the one who waits for it: the setter is done with it by then. */
TEST(who_waited_may_free_it)
{
	on_1_2_4_procs(wait_and_free);
}

struct post {
	weft_event e;
	long data;
	int how;
};

static void
read_post(void *arg)
{
	struct post *p = arg;
	weft_case cases[] = { WEFT_WAIT(&p->e), WEFT_RECV(NULL, NULL) };

	if (p->how == 0)
		EXPECT_EQ(weft_event_wait(&p->e, WEFT_FOREVER), 0);
	else if (p->how == 1)
		EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
	else
		while (weft_event_wait(&p->e, WEFT_NOW) != 0)
			weft_yield();
	EXPECT_EQ(p->data, 42);
}

static void
data_is_seen(void)
{
	for (int i = 0; i < scaled(600); i++) {
		struct post p = { .how = i % 3 };
		struct crew c;

		crew_start(&c, read_post, &p, 3, 1);
		if (i % 2 != 0)
			weft_yield();
		p.data = 42;
		weft_event_set(&p.e);
		crew_wait(&c);
	}
}

TEST(what_was_written_before_the_set_is_seen)
{
	on_1_2_4_procs(data_is_seen);
}

/* ---- Many ---- */

struct crowd {
	weft_event e;
	_Atomic int waiting, ended;
};

static void
join_crowd(void *arg)
{
	struct crowd *c = arg;

	atomic_fetch_add(&c->waiting, 1);
	EXPECT_EQ(weft_event_wait(&c->e, WEFT_FOREVER), 0);
	atomic_fetch_add(&c->ended, 1);
}

static void
set_crowd(void *e)
{
	EXPECT(weft_event_set(e));
}

/*
 * 100,000 are released while others come, look, and give up: none of these may be held up until
 * the last of the crowd has been gone through. The first of the crowd run meanwhile.
 */
TEST(a_crowd_is_released_without_holding_up_others)
{
	int n = scaled(100000);
	struct crowd c = { .ended = 0 };

	weft_gomaxprocs(2);
	for (int i = 0; i < n; i++)
		go(join_crowd, &c);
	await_count(&c.waiting, n);
	weft_sleep(10 * MS);
	go(set_crowd, &c.e);
	while (weft_event_wait(&c.e, WEFT_NOW) != 0)
		weft_yield();
	EXPECT_EQ(weft_event_wait(&c.e, WEFT_FOREVER), 0);
	await_count(&c.ended, n);
}
