/*
 * weft_flight: one execution for all who ask for the same key at the same time.
 */
#include "sync_util.h"

#include <stdio.h>

struct question {
	int n;
	char answer[48];
};

static weft_flight flight;
static weft_event may_end;
static _Atomic int executions, asking, answered, ended;

static int
answer(void *data)
{
	struct question *q = data;

	atomic_fetch_add(&executions, 1);
	EXPECT_EQ(weft_event_wait(&may_end, WEFT_FOREVER), 0);
	snprintf(q->answer, sizeof(q->answer), "answer to %d", q->n);
	return q->n % 2 != 0 ? -EIO : 5;
}

static void
reset(void)
{
	weft_event_reset(&may_end);
	executions = asking = answered = ended = 0;
}

static void
ask_with(int n, int64_t deadline)
{
	struct question q = { .n = n };
	char want[48];
	int r;

	atomic_fetch_add(&asking, 1);
	r = weft_flight_do(&flight, &n, sizeof(n), answer, &q, sizeof(q), deadline);
	if (r == -ETIMEDOUT) {
		EXPECT_STR(q.answer, "");
	} else {
		snprintf(want, sizeof(want), "answer to %d", n);
		EXPECT_EQ(r, n % 2 != 0 ? -EIO : 5);
		EXPECT_STR(q.answer, want);
		atomic_fetch_add(&answered, 1);
	}
	atomic_fetch_add(&ended, 1);
}

static void
ask(void *n)
{
	ask_with((int)(intptr_t)n, WEFT_FOREVER);
}

static void
one_for_all(void)
{
	enum { ASKERS = 40, KEYS = 7 };

	reset();
	for (int i = 0; i < ASKERS; i++)
		go(ask, (void *)(intptr_t)(i % KEYS));
	await_count(&asking, ASKERS);
	weft_sleep(2 * MS);
	EXPECT_EQ(executions, KEYS);
	EXPECT_EQ(ended, 0);
	weft_event_set(&may_end);
	await_count(&ended, ASKERS);
	EXPECT_EQ(answered, ASKERS);
	/* Once more: nothing is kept of what has ended. */
	ask(NULL);
	EXPECT(executions > KEYS);
}

/*
 * SCENARIOS 272. Else a cache that has expired sends all its users to the database.
 * (TestDoDupSuppress, TestDoErr)
 */
TEST(one_execution_for_all_who_ask)
{
	on_1_2_4_procs(one_for_all);
}

static void
ask_shortly(void *n)
{
	ask_with((int)(intptr_t)n, weft_in(2 * MS));
}

static int
ask_in_scope(void *n)
{
	struct question q = { .n = 4 };

	atomic_fetch_add(&asking, 1);
	EXPECT_EQ(weft_flight_do(&flight, n, sizeof(int), answer, &q, sizeof(q), WEFT_FOREVER),
	    -ECANCELED);
	atomic_fetch_add(&ended, 1);
	return 0;
}

/* Who gives up, the first of all too, must not spoil it for the others. */
static void
some_give_up(void)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	int key = 4;

	reset();
	EXPECT_EQ(weft_scope_go(s, ask_in_scope, &key), 0);
	await_count(&executions, 1);
	for (int i = 0; i < 5; i++)
		go(ask_shortly, (void *)(intptr_t)key);
	go(ask, (void *)(intptr_t)key);
	await_count(&asking, 7);
	weft_scope_cancel(s, -ECANCELED);
	await_count(&ended, 6);
	EXPECT_EQ(answered, 0);
	weft_event_set(&may_end);
	await_count(&ended, 7);
	EXPECT_EQ(answered, 1);
	EXPECT_EQ(executions, 1);
	weft_scope_free(s);
}

TEST(one_that_gives_up_does_not_end_it_for_others)
{
	on_1_2_4_procs(some_give_up);
}

TEST(who_may_not_wait_starts_nothing)
{
	struct question q = { .n = 1 };

	reset();
	EXPECT_EQ(weft_flight_do(&flight, "k", 1, answer, &q, sizeof(q), WEFT_NOW), -ETIMEDOUT);
	weft_event_set(&may_end);
	weft_sleep(1 * MS);
	EXPECT_EQ(executions, 0);
}

/* SCENARIOS 272. What has been written since must be read: the next one asks anew. (TestForget) */
TEST(forget_lets_the_next_start_anew)
{
	int key = 6;

	reset();
	EXPECT(!weft_flight_forget(&flight, &key, sizeof(key)));
	go(ask, (void *)(intptr_t)key);
	await_count(&executions, 1);
	EXPECT(weft_flight_forget(&flight, &key, sizeof(key)));
	EXPECT(!weft_flight_forget(&flight, &key, sizeof(key)));
	go(ask, (void *)(intptr_t)key);
	await_count(&executions, 2);
	/* This one joins the second. */
	go(ask, (void *)(intptr_t)key);
	await_count(&asking, 3);
	weft_sleep(1 * MS);
	EXPECT_EQ(executions, 2);
	weft_event_set(&may_end);
	await_count(&ended, 3);
	EXPECT_EQ(answered, 3);
}

/* ---- Panics and ends ---- */

static int
panic_at_end(void *data)
{
	(void)data;
	weft_event_wait(&may_end, WEFT_FOREVER);
	weft_panic("no answer");
}

static int
exit_at_end(void *data)
{
	(void)data;
	weft_event_wait(&may_end, WEFT_FOREVER);
	weft_goexit();
}

static void
ask_panicking(void *unused)
{
	(void)unused;
	atomic_fetch_add(&asking, 1);
	weft_flight_do(&flight, "p", 1, panic_at_end, NULL, 0, WEFT_FOREVER);
	FAIL("returned");
}

static void
expect_its_panic(void *unused)
{
	expect_panic(ask_panicking, unused, "no answer");
	atomic_fetch_add(&ended, 1);
}

/*
 * SCENARIOS 272. Who waited for an answer that can't be must not wait for ever, nor go on without
 * it. (TestPanicDo)
 */
TEST(a_panic_reaches_all)
{
	reset();
	for (int i = 0; i < 10; i++)
		go(expect_its_panic, NULL);
	await_count(&asking, 10);
	weft_sleep(1 * MS);
	weft_event_set(&may_end);
	await_count(&ended, 10);
}

static void
panic_alone(void *unused)
{
	(void)unused;
	EXPECT_EQ(weft_flight_do(&flight, "p", 1, panic_at_end, NULL, 0,
	    weft_in(200 * MS * test_scale())),
	    -ETIMEDOUT);
	weft_event_set(&may_end);
	weft_sleep(1000 * SECOND);
}

/* All have given up: it is still a bug of the program, and must not go unseen. */
TEST(a_panic_that_nobody_waits_for_ends_the_process)
{
	expect_death(panic_alone, "panic: no answer");
}

static void
note_end(void *unused)
{
	(void)unused;
	atomic_fetch_add(&ended, 1);
}

static void
ask_exiting(void *unused)
{
	weft_defer(note_end, unused);
	atomic_fetch_add(&asking, 1);
	weft_flight_do(&flight, "x", 1, exit_at_end, NULL, 0, WEFT_FOREVER);
	FAIL("returned");
}

/* SCENARIOS 272. (TestGoexitDo) */
TEST(goexit_reaches_all)
{
	reset();
	for (int i = 0; i < 10; i++)
		go(ask_exiting, NULL);
	await_count(&asking, 10);
	weft_sleep(1 * MS);
	weft_event_set(&may_end);
	await_count(&ended, 10);
}

static void
ask_other_size(void *unused)
{
	char other[3];
	int key = 8;

	(void)unused;
	weft_flight_do(&flight, &key, sizeof(key), answer, other, sizeof(other), WEFT_FOREVER);
}

TEST(callers_of_one_key_agree_on_the_size)
{
	reset();
	go(ask, (void *)(intptr_t)8);
	await_count(&executions, 1);
	expect_panic(ask_other_size, NULL,
	    "weft_flight_do: data_size is 3, and 52 in the call that it joins");
	weft_event_set(&may_end);
	await_count(&ended, 1);
}

/* ---- Many keys at once ---- */

struct storm {
	int rounds;
	_Atomic int wrong;
};

static int
square(void *data)
{
	long *n = data;

	if (*n % 3 == 0)
		weft_yield();
	*n *= *n;
	return 0;
}

static void
ask_many(void *arg)
{
	struct storm *s = arg;
	unsigned state = (unsigned)weft_goid();

	for (int i = 0; i < s->rounds; i++) {
		char key[24];
		long n, want;
		int len, r;

		state = state * 1664525u + 1013904223u;
		n = (long)(state >> 16) % 200;
		want = n * n;
		len = snprintf(key, sizeof(key), "key %ld", n);
		if (i % 50 == 0)
			weft_flight_forget(&flight, key, (size_t)len);
		r = weft_flight_do(&flight, key, (size_t)len, square, &n, sizeof(n),
		    i % 7 == 0 ? weft_in(10 * US) : WEFT_FOREVER);
		if (r != -ETIMEDOUT && (r != 0 || n != want))
			atomic_fetch_add(&s->wrong, 1);
	}
}

static void
many_keys(void)
{
	struct storm s = { .rounds = scaled(500) };
	int before = weft_numgoroutine();

	crew_run(ask_many, &s, 20, 5);
	EXPECT_EQ(s.wrong, 0);
	/* The last calls have ended, and what they did to the flight is seen by its lock. */
	while (weft_numgoroutine() > before)
		weft_sleep(1 * MS);
	weft_flight_forget(&flight, "", 0);
	/* Nothing in flight: it holds nothing, and may be copied like a fresh one. */
	EXPECT_EQ(((uint64_t *)(void *)&flight)[1], 0);
}

TEST(each_gets_the_answer_to_its_own_key)
{
	on_1_2_4_procs(many_keys);
}
