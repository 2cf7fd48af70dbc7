/*
 * weft_waitgroup: wait returns when all are done, not before and not never; misuse; lifetime.
 */
#include "sync_util.h"

#include <unistd.h>

/* ---- All, and only then ---- */

#define N 16

struct phases {
	weft_waitgroup arrive, leave;
	_Atomic int ended;
};

static void
two_phases(void *p)
{
	struct phases *f = p;

	weft_waitgroup_done(&f->arrive);
	EXPECT_EQ(weft_waitgroup_wait(&f->leave, WEFT_FOREVER), 0);
	atomic_fetch_add(&f->ended, 1);
}

static void
run_phases(void)
{
	static struct phases f;

	memset(&f, 0, sizeof(f));
	for (int round = 0; round < 8; round++) {
		struct crew c;

		atomic_store(&f.ended, 0);
		weft_waitgroup_add(&f.arrive, N);
		weft_waitgroup_add(&f.leave, N);
		crew_start(&c, two_phases, &f, N, round % 2 == 0 ? 0 : N / 2);
		EXPECT_EQ(weft_waitgroup_wait(&f.arrive, WEFT_FOREVER), 0);
		for (int i = 0; i < N; i++) {
			EXPECT_EQ(atomic_load(&f.ended), 0);
			weft_waitgroup_done(&f.leave);
		}
		crew_wait(&c);
		EXPECT_EQ(atomic_load(&f.ended), N);
	}
}

/* Too early, and results are read before they are written; reused, as loops do. SCENARIOS 130. */
TEST(wait_returns_when_all_are_done)
{
	on_1_2_4_procs(run_phases);
}

struct race {
	weft_waitgroup wg;
	_Atomic int n;
	int plain[2];
};

static void
done_first(void *p)
{
	struct race *r = p;

	r->plain[0] = 1;
	atomic_fetch_add(&r->n, 1);
	weft_waitgroup_done(&r->wg);
}

static void
done_second(void *p)
{
	struct race *r = p;

	r->plain[1] = 1;
	atomic_fetch_add(&r->n, 1);
	weft_waitgroup_done(&r->wg);
}

static void
race_done_with_wait(void)
{
	int rounds = scaled(1000);

	for (int i = 0; i < rounds; i++) {
		struct race r = { .n = 0 };

		weft_waitgroup_add(&r.wg, 1);
		go(done_first, &r);
		weft_waitgroup_add(&r.wg, 1);
		go(done_second, &r);
		if (i % 4 == 0)
			weft_yield();
		EXPECT_EQ(weft_waitgroup_wait(&r.wg, WEFT_FOREVER), 0);
		EXPECT_EQ(atomic_load(&r.n), 2);
		EXPECT_EQ(r.plain[0] + r.plain[1], 2);
		/* r is left, and used again, at once: done() must not touch it any more. */
		memset(&r, 0x5a, sizeof(r));
	}
}

/* Go's TestWaitGroupRace, and that what was written before done is seen. SCENARIOS 132. */
TEST(done_races_with_wait)
{
	on_1_2_4_procs(race_done_with_wait);
}

static void
done_it(void *wg)
{
	weft_waitgroup_done(wg);
}

static void
wait_by_polling(void)
{
	int rounds = scaled(1500);

	for (int i = 0; i < rounds; i++) {
		weft_waitgroup *wg = calloc(1, sizeof(*wg));
		struct crew c;
		int r;

		weft_waitgroup_add(wg, 2);
		crew_start(&c, done_it, wg, 2, i % 8 == 0 ? 1 : 0);
		while ((r = weft_waitgroup_wait(wg, i % 2 == 0 ? WEFT_NOW : weft_in(i % 7 * US)))
		    == -ETIMEDOUT)
			weft_yield();
		EXPECT_EQ(r, 0);
		memset(wg, 0x5a, sizeof(*wg));
		free(wg);
		crew_wait(&c);
	}
}

/*
 * The waiter gives up and comes back, and frees the group when it is done: the last done() may
 * still be on its way to a waiter that is no longer there. ASan sees a late touch.
 */
TEST(a_waiter_that_polls_may_free_it)
{
	on_1_2_4_procs(wait_by_polling);
}

struct many {
	weft_waitgroup wg;
	_Atomic int released;
};

static void
wait_for_it(void *p)
{
	struct many *m = p;

	EXPECT_EQ(weft_waitgroup_wait(&m->wg, WEFT_FOREVER), 0);
	atomic_fetch_add(&m->released, 1);
}

static void
many_waiters(void)
{
	struct many m = { .released = 0 };
	struct crew c;

	weft_waitgroup_add(&m.wg, 1);
	crew_start(&c, wait_for_it, &m, 30, 5);
	weft_sleep(100 * US);
	EXPECT_EQ(atomic_load(&m.released), 0);
	weft_waitgroup_done(&m.wg);
	crew_wait(&c);
	EXPECT_EQ(atomic_load(&m.released), 30);
}

/* The last done() wakes them all. RELIABILITY 101. */
TEST(all_waiters_are_released)
{
	on_1_2_4_procs(many_waiters);
}

TEST(adding_nothing_changes_nothing)
{
	weft_waitgroup wg = { 0 };

	weft_waitgroup_add(&wg, 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), 0);
	weft_waitgroup_add(&wg, 1000000000);
	weft_waitgroup_add(&wg, 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), -ETIMEDOUT);
	weft_waitgroup_add(&wg, -1000000000);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), 0);
}

/* ---- Deadlines and cancellation ---- */

TEST(wait_gives_up_at_its_deadline_and_not_before)
{
	weft_waitgroup wg = { 0 };
	int64_t deadline;

	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, INT64_MIN), 0);
	weft_waitgroup_add(&wg, 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), -ETIMEDOUT);
	deadline = weft_in(3 * MS);
	EXPECT_EQ(weft_waitgroup_wait(&wg, deadline), -ETIMEDOUT);
	EXPECT(weft_now() >= deadline);
	weft_waitgroup_done(&wg);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), 0);
}

struct scoped {
	weft_waitgroup wg;
	_Atomic int about_to_wait;
};

static int
wait_in_scope(void *p)
{
	struct scoped *s = p;
	weft_waitgroup done = { 0 };

	atomic_store(&s->about_to_wait, 1);
	EXPECT_EQ(weft_waitgroup_wait(&s->wg, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_waitgroup_wait(&s->wg, WEFT_NOW), -ECANCELED);
	/* What can go at once, goes. */
	EXPECT_EQ(weft_waitgroup_wait(&done, WEFT_FOREVER), 0);
	return 0;
}

static void
cancel_wait(void)
{
	struct scoped s = { .about_to_wait = 0 };
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

	weft_waitgroup_add(&s.wg, 1);
	EXPECT_EQ(weft_scope_go(scope, wait_in_scope, &s), 0);
	await_count(&s.about_to_wait, 1);
	weft_scope_cancel(scope, -EINTR);
	weft_scope_free(scope);
	weft_waitgroup_done(&s.wg);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), 0);
}

TEST(cancellation_ends_the_wait)
{
	on_1_2_4_procs(cancel_wait);
}

/* ---- weft_waitgroup_go ---- */

static void
add_one(void *n)
{
	weft_yield();
	atomic_fetch_add((_Atomic int *)n, 1);
}

static void
add_one_and_exit(void *n)
{
	add_one(n);
	weft_goexit();
}

static void
add_one_later(void *n)
{
	weft_defer(add_one, n);
}

static void
start_many(void)
{
	weft_waitgroup wg = { 0 };
	_Atomic int n = 0;

	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, i % 4 == 0 ? add_one_and_exit : add_one, &n), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&n), 100);

	/* What the function deferred runs too, though perhaps after done. */
	EXPECT_EQ(weft_waitgroup_go(&wg, add_one_later, &n), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
	await_count(&n, 101);
}

/* One that ends by weft_goexit() is done as well: nobody else will say so. */
TEST(go_counts_its_goroutine)
{
	on_1_2_4_procs(start_many);
}

static void
start_null(void *unused)
{
	weft_waitgroup wg = { 0 };

	(void)unused;
	weft_waitgroup_go(&wg, NULL, NULL);
}

TEST(go_of_null_is_fatal)
{
	expect_death(start_null, "fatal error: go of nil func value\n");
}

static void
panic_now(void *unused)
{
	(void)unused;
	weft_panic("the job went wrong");
}

static void
start_panicking(void *unused)
{
	weft_waitgroup wg = { 0 };

	(void)unused;
	weft_waitgroup_go(&wg, panic_now, NULL);
	weft_waitgroup_wait(&wg, WEFT_FOREVER);
	_exit(0);
}

/*
 * Were done() called on the way of the panic, the waiter might end the process with status 0 before
 * the panic is printed. (golang/go#76126)
 */
TEST(a_panicking_goroutine_is_not_done)
{
	for (int i = 0; i < 10; i++)
		expect_death(start_panicking, "panic: the job went wrong\n");
}

/* ---- Misuse ---- */

static void
done_too_often(void *unused)
{
	weft_waitgroup wg = { 0 };

	(void)unused;
	weft_waitgroup_add(&wg, 1);
	weft_waitgroup_done(&wg);
	weft_waitgroup_done(&wg);
}

static void
add_negative(void *delta)
{
	weft_waitgroup wg = { 0 };

	weft_waitgroup_add(&wg, 1);
	weft_waitgroup_add(&wg, *(int *)delta);
}

/* A done() too many means that some other work is not waited for. SCENARIOS 131. */
TEST(a_negative_counter_panics)
{
	/* The last two are too large: the counter ends below 2^30. */
	int deltas[] = { -2, -1000000, INT32_MIN, INT32_MIN + 1, 1 << 30, INT32_MAX };

	expect_panic(done_too_often, NULL, "sync: negative WaitGroup counter");
	for (int i = 0; i < 6; i++)
		expect_panic(add_negative, &deltas[i], "sync: negative WaitGroup counter");
	expect_death(done_too_often, "panic: sync: negative WaitGroup counter\n");
}

static void
done_once(void *wg)
{
	weft_waitgroup_done(wg);
}

/* As Go's: whoever recovers has not mended it. Work that begins later makes up for it. */
TEST(a_negative_counter_stays_negative)
{
	weft_waitgroup wg = { 0 };

	expect_panic(done_once, &wg, "sync: negative WaitGroup counter");
	expect_panic(done_once, &wg, "sync: negative WaitGroup counter");
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), -ETIMEDOUT);
	weft_waitgroup_add(&wg, 3);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), -ETIMEDOUT);
	weft_waitgroup_done(&wg);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_NOW), 0);
}

static void
reuse_too_early(void *unused)
{
	(void)unused;
	/*
	 * The waiter was released and has yet to run when the group is used again: nearly always.
	 * Now and then it is late, and finds the second round only. Then once more.
	 */
	weft_gomaxprocs(1);
	for (;;) {
		struct many m = { .released = 0 };

		weft_waitgroup_add(&m.wg, 1);
		go(wait_for_it, &m);
		weft_sleep(100 * US);
		weft_waitgroup_done(&m.wg);
		weft_waitgroup_add(&m.wg, 1);
		weft_sleep(1 * MS);
		weft_waitgroup_done(&m.wg);
		await_count(&m.released, 1);
	}
}

/* The waiter of the first round might find the second one unfinished, or sleep through it. */
TEST(reuse_before_wait_has_returned_panics)
{
	expect_death(reuse_too_early,
	    "panic: sync: WaitGroup is reused before previous Wait has returned\n");
}
