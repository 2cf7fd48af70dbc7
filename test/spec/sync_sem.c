/*
 * weft_sem: the bound holds, the order is strict, and nobody who gives up takes permits with him.
 */
#include "sync_util.h"

/* ---- The bound ---- */

struct guarded {
	weft_sem s;
	int64_t permits;
	_Atomic int64_t held;
	int rounds;
	long plain;		/* with one permit: under it */
	_Atomic int gave_up, got;
};

static void
raw_pairs(void *p)
{
	struct guarded *g = p;

	for (int i = 0; i < g->rounds; i++) {
		EXPECT_EQ(weft_sem_acquire(&g->s, 1, WEFT_FOREVER), 0);
		g->plain++;
		weft_sem_release(&g->s, 1);
	}
}

static void
ten_raw(void)
{
	for (int n_threads = 0; n_threads <= 5; n_threads += 5) {
		struct guarded g = { .rounds = 1000 / (n_threads ? test_scale() : 1) };

		weft_sem_init(&g.s, 1);
		crew_run(raw_pairs, &g, 10, n_threads);
		EXPECT_EQ(g.plain, 10 * g.rounds);
		EXPECT(weft_sem_tryacquire(&g.s, 1));
	}
}

/* With one permit it is a lock: SCENARIOS 124. */
TEST(ten_times_a_thousand_pairs)
{
	on_1_2_4_procs(ten_raw);
}

static void
hold(struct guarded *g, int64_t n, unsigned rnd)
{
	EXPECT(atomic_fetch_add(&g->held, n) + n <= g->permits);
	if (rnd % 8 == 0)
		weft_yield();
	if (rnd % 128 == 0)
		weft_sleep(5 * US);
	atomic_fetch_sub(&g->held, n);
	weft_sem_release(&g->s, n);
}

static void
random_weights(void *p)
{
	struct guarded *g = p;
	unsigned rnd = (unsigned)weft_goid() * 2654435761u;

	for (int i = 0; i < g->rounds; i++) {
		int64_t n;

		rnd = rnd * 1664525u + 1013904223u;
		n = (rnd >> 16) % (g->permits + 1);
		if (rnd % 5 == 0) {
			if (weft_sem_tryacquire(&g->s, n))
				hold(g, n, rnd >> 4);
			continue;
		}
		EXPECT_EQ(weft_sem_acquire(&g->s, n, WEFT_FOREVER), 0);
		hold(g, n, rnd >> 4);
	}
}

static void
weights_keep_the_bound(void)
{
	int procs = weft_gomaxprocs(0);

	for (int n_threads = 0; n_threads <= 2; n_threads += 2) {
		struct guarded g = { .permits = procs, .rounds = scaled(n_threads ? 500 : 10000) };

		weft_sem_init(&g.s, g.permits);
		crew_run(random_weights, &g, procs + n_threads, n_threads);
		EXPECT(weft_sem_tryacquire(&g.s, g.permits));
	}
}

/*
 * More inside than permits: the database has 10 connections and gets an 11th user. SCENARIOS
 * 265.
 */
TEST(random_weights_keep_the_bound)
{
	on_1_2_4_procs(weights_keep_the_bound);
}

/* ---- Tables ---- */

/* SCENARIOS 267: Go's TestWeightedTryAcquire and TestWeightedAcquire. */
TEST(try_and_wait_table)
{
	weft_sem s = { 0 };

	EXPECT(weft_sem_tryacquire(&s, 0));
	EXPECT(!weft_sem_tryacquire(&s, 1));
	weft_sem_init(&s, 2);
	EXPECT(weft_sem_tryacquire(&s, 1));
	EXPECT(weft_sem_tryacquire(&s, 1));
	EXPECT(!weft_sem_tryacquire(&s, 1));
	EXPECT_EQ(weft_sem_acquire(&s, 1, WEFT_NOW), -ETIMEDOUT);
	weft_sem_release(&s, 2);
	EXPECT(weft_sem_tryacquire(&s, 1));
	EXPECT(weft_sem_tryacquire(&s, 0));
	EXPECT_EQ(weft_sem_acquire(&s, 1, WEFT_NOW), 0);
	EXPECT_EQ(weft_sem_acquire(&s, 0, WEFT_NOW), 0);
	EXPECT(!weft_sem_tryacquire(&s, 3));
	weft_sem_release(&s, 2);
	EXPECT_EQ(weft_sem_acquire(&s, 3, WEFT_NOW), -ETIMEDOUT);
	EXPECT(!weft_sem_tryacquire(&s, INT64_MAX));
	EXPECT_EQ(weft_sem_acquire(&s, INT64_MAX, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_sem_acquire(&s, 2, INT64_MIN), 0);
}

TEST(the_largest_semaphore_works)
{
	weft_sem s;

	weft_sem_init(&s, INT64_MAX);
	EXPECT_EQ(weft_sem_acquire(&s, INT64_MAX, WEFT_NOW), 0);
	EXPECT(!weft_sem_tryacquire(&s, 1));
	weft_sem_release(&s, INT64_MAX - 1);
	EXPECT(weft_sem_tryacquire(&s, INT64_MAX - 1));
	weft_sem_release(&s, INT64_MAX);
	EXPECT(weft_sem_tryacquire(&s, INT64_MAX));
}

TEST(acquire_gives_up_at_its_deadline_and_not_before)
{
	weft_sem s;
	int64_t deadline;

	weft_sem_init(&s, 4);
	EXPECT_EQ(weft_sem_acquire(&s, 1, WEFT_FOREVER), 0);
	for (int64_t n = 4; n <= 5; n++) {	/* 5: more than there are */
		deadline = weft_in(2 * MS);
		EXPECT_EQ(weft_sem_acquire(&s, n, deadline), -ETIMEDOUT);
		EXPECT(weft_now() >= deadline);
	}
	EXPECT(weft_sem_tryacquire(&s, 3));
}

/* ---- Order ---- */

struct turn {
	weft_sem s;
	int64_t n;
	int64_t deadline;
	int result;
	_Atomic int ended;
	_Atomic int about_to_ask;
};

static int
ask(void *p)
{
	struct turn *t = p;

	atomic_store(&t->about_to_ask, 1);
	t->result = weft_sem_acquire(&t->s, t->n, t->deadline);
	atomic_store(&t->ended, 1);
	return 0;
}

static void
ask_fn(void *p)
{
	ask(p);
}

/* Until somebody stands in the queue: then even nothing is refused. */
static void
await_queue(weft_sem *s)
{
	while (weft_sem_tryacquire(s, 0))
		weft_yield();
}

static void
impossible_one(void)
{
	struct turn big = { .n = 3, .deadline = WEFT_FOREVER };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	weft_sem_init(&big.s, 2);
	EXPECT_EQ(weft_scope_go(s, ask, &big), 0);
	await_count(&big.about_to_ask, 1);
	for (int i = 0; i < 1000; i++) {
		EXPECT_EQ(weft_sem_acquire(&big.s, 2, weft_in(3 * SECOND)), 0);
		if (i % 100 == 0)
			weft_yield();
		weft_sem_release(&big.s, 2);
	}
	EXPECT_EQ(atomic_load(&big.ended), 0);
	weft_scope_cancel(s, -ECANCELED);
	weft_scope_free(s);
	EXPECT_EQ(big.result, -ECANCELED);
}

/* One wrong request must not stop everybody. SCENARIOS 268. */
TEST(an_impossible_acquire_holds_up_nobody)
{
	on_1_2_4_procs(impossible_one);
}

struct pair {
	struct turn big;
	_Atomic int small_got;
};

static void
ask_small(void *p)
{
	struct pair *t = p;

	EXPECT_EQ(weft_sem_acquire(&t->big.s, 1, WEFT_FOREVER), 0);
	atomic_store(&t->small_got, 1);
	weft_sem_release(&t->big.s, 1);
}

static void
large_before_small(void)
{
	struct pair t = { .big = { .n = 2, .deadline = WEFT_FOREVER } };
	struct crew a, b;

	weft_sem_init(&t.big.s, 2);
	EXPECT(weft_sem_tryacquire(&t.big.s, 1));
	crew_start(&a, ask_fn, &t.big, 1, 0);
	await_queue(&t.big.s);
	/* One permit is free, but the large one came first. */
	crew_start(&b, ask_small, &t, 1, 0);
	weft_sleep(200 * US);
	EXPECT(!crew_has_ended(&a));
	EXPECT(!crew_has_ended(&b));
	EXPECT(!weft_sem_tryacquire(&t.big.s, 1));
	weft_sem_release(&t.big.s, 1);
	crew_wait(&a);
	EXPECT_EQ(t.big.result, 0);
	EXPECT_EQ(atomic_load(&t.small_got), 0);
	weft_sem_release(&t.big.s, 2);
	crew_wait(&b);
	EXPECT(weft_sem_tryacquire(&t.big.s, 2));
}

/*
 * Small requests that always fit would keep a large one out for ever. (Go:
 * TestLargeAcquireDoesntStarve.)
 */
TEST(a_large_one_is_not_overtaken)
{
	on_1_2_4_procs(large_before_small);
}

static void
head_gives_up(bool by_cancel)
{
	int64_t deadline = by_cancel ? WEFT_FOREVER : weft_in(3 * MS);
	struct pair t = { .big = { .n = 2, .deadline = deadline } };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	struct crew c;

	weft_sem_init(&t.big.s, 2);
	EXPECT(weft_sem_tryacquire(&t.big.s, 1));
	EXPECT_EQ(weft_scope_go(s, ask, &t.big), 0);
	await_count(&t.big.about_to_ask, 1);
	while (weft_sem_tryacquire(&t.big.s, 0) && !atomic_load(&t.big.ended))
		weft_yield();
	/* It fits beside us; only the large one before it is in its way. */
	crew_start(&c, ask_small, &t, 1, 0);
	if (by_cancel) {
		weft_sleep(100 * US);
		EXPECT_EQ(atomic_load(&t.small_got), 0);
		weft_scope_cancel(s, -ECANCELED);
	}
	crew_wait(&c);
	weft_scope_free(s);
	EXPECT_EQ(t.big.result, by_cancel ? -ECANCELED : -ETIMEDOUT);
	EXPECT(weft_sem_tryacquire(&t.big.s, 1));
}

static void
head_is_cancelled(void)
{
	head_gives_up(/* by_cancel */ true);
	head_gives_up(/* by_cancel */ false);
}

/* Those behind a large request that gave up must not wait for permits that are free.
 * SCENARIOS 270, RELIABILITY 102. */
TEST(when_the_head_gives_up_the_next_goes_on)
{
	on_1_2_4_procs(head_is_cancelled);
}

/* ---- Giving up loses nothing ---- */

static int
acquire_cancelled(void *p)
{
	struct guarded *g = p;

	while (weft_scope_err(weft_scope_current()) == 0)
		weft_yield();
	EXPECT_EQ(weft_sem_acquire(&g->s, 2, WEFT_FOREVER), -ECANCELED);
	/* weft: what can go at once goes, also when cancelled. (Go refuses.) */
	EXPECT_EQ(weft_sem_acquire(&g->s, 1, WEFT_FOREVER), 0);
	weft_sem_release(&g->s, 1);
	EXPECT_EQ(weft_sem_acquire(&g->s, 100, WEFT_FOREVER), -ECANCELED);
	return 0;
}

/* SCENARIOS 271, as the contract has it. */
TEST(a_cancelled_goroutine_does_not_wait)
{
	struct guarded g = { .permits = 2 };

	weft_sem_init(&g.s, 2);
	EXPECT(weft_sem_tryacquire(&g.s, 1));
	run_cancelled(acquire_cancelled, &g);
	weft_sem_release(&g.s, 1);
	EXPECT(weft_sem_tryacquire(&g.s, 2));
}

static void
acquire_impatiently(void *p)
{
	struct guarded *g = p;
	unsigned rnd = (unsigned)weft_goid() * 2654435761u;

	for (int i = 0; i < g->rounds; i++) {
		int64_t n;

		rnd = rnd * 1664525u + 1013904223u;
		n = 1 + (rnd >> 16) % g->permits;
		if (weft_sem_acquire(&g->s, n, weft_in((rnd >> 8) % 64 * US)) != 0) {
			atomic_fetch_add(&g->gave_up, 1);
			continue;
		}
		atomic_fetch_add(&g->got, 1);
		hold(g, n, rnd >> 4);
	}
}

static void
impatient_and_patient(void)
{
	struct guarded g = { .permits = 5, .rounds = scaled(2000) };
	struct crew a, b;

	weft_sem_init(&g.s, g.permits);
	crew_start(&a, acquire_impatiently, &g, 8, 2);
	crew_start(&b, random_weights, &g, 4, 1);
	crew_wait(&a);
	crew_wait(&b);
	EXPECT_EQ(g.got + g.gave_up, 8 * g.rounds);
	EXPECT(weft_sem_tryacquire(&g.s, 5));
}

/*
 * Deadlines that pass while permits are being granted: none may be granted to one who has left, and
 * none to nobody. RELIABILITY 103.
 */
TEST(permits_and_holders_stay_constant)
{
	on_1_2_4_procs(impatient_and_patient);
}

static int
acquire_until_cancelled(void *p)
{
	struct guarded *g = p;

	for (unsigned i = 0;; i++) {
		int r = weft_sem_acquire(&g->s, 1 + i % 3, WEFT_FOREVER);

		if (r == -ECANCELED)
			return 0;
		EXPECT_EQ(r, 0);
		atomic_fetch_add(&g->got, 1);
		hold(g, 1 + i % 3, i);
	}
}

static void
cancel_them_all(void)
{
	for (int i = 0; i < 60; i++) {
		struct guarded g = { .permits = 3 };
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

		weft_sem_init(&g.s, 3);
		for (int k = 0; k < 6; k++)
			EXPECT_EQ(weft_scope_go(s, acquire_until_cancelled, &g), 0);
		await_count(&g.got, 5 + i);
		weft_scope_cancel(s, -ECANCELED);
		/* What fits they may go on taking; when nothing fits they all have to stop. */
		EXPECT_EQ(weft_sem_acquire(&g.s, 3, WEFT_FOREVER), 0);
		weft_scope_free(s);
		weft_sem_release(&g.s, 3);
		EXPECT(weft_sem_tryacquire(&g.s, 3));
	}
}

/* Cancelled in every state of their wait. SCENARIOS 271; RELIABILITY 103. */
TEST(cancelling_the_waiters_loses_no_permit)
{
	on_1_2_4_procs(cancel_them_all);
}

/* ---- Lifetime ---- */

static void
release_it(void *s)
{
	weft_sem_release(s, 1);
}

static void
wait_and_free(void)
{
	int rounds = scaled(1500);

	for (int i = 0; i < rounds; i++) {
		weft_sem *s = calloc(1, sizeof(*s));
		struct crew c;

		weft_sem_init(s, 1);
		EXPECT(weft_sem_tryacquire(s, 1));
		crew_start(&c, release_it, s, 1, i % 8 == 0 ? 1 : 0);
		while (weft_sem_acquire(s, 1, i % 2 == 0 ? WEFT_FOREVER : weft_in(i % 7 * US)) != 0)
			weft_yield();
		memset(s, 0x5a, sizeof(*s));
		free(s);
		crew_wait(&c);
	}
}

/* One who waits for the end of something, and frees it: release must not touch it any more. */
TEST(release_is_done_with_it_when_the_next_one_frees_it)
{
	on_1_2_4_procs(wait_and_free);
}

/* ---- Misuse ---- */

static void
release_fresh(void *unused)
{
	weft_sem s;

	(void)unused;
	weft_sem_init(&s, 1);
	weft_sem_release(&s, 1);
}

static void
release_zero_sem(void *unused)
{
	weft_sem s = { 0 };

	(void)unused;
	weft_sem_release(&s, 1);
}

static void
release_too_many(void *unused)
{
	weft_sem s;

	(void)unused;
	weft_sem_init(&s, 5);
	EXPECT(weft_sem_tryacquire(&s, 2));
	weft_sem_release(&s, INT64_MAX);
}

static void
release_too_many_with_waiters(void *unused)
{
	static struct turn t = { .n = 2, .deadline = WEFT_FOREVER };

	(void)unused;
	weft_sem_init(&t.s, 2);
	EXPECT(weft_sem_tryacquire(&t.s, 1));
	go(ask_fn, &t);
	await_queue(&t.s);
	weft_sem_release(&t.s, 2);
}

/* More permits than there are: the bound would be gone. (Go: TestWeightedPanic.) */
TEST(releasing_more_than_held_panics)
{
	expect_panic(release_fresh, NULL, "semaphore: released more than held");
	expect_panic(release_zero_sem, NULL, "semaphore: released more than held");
	expect_panic(release_too_many, NULL, "semaphore: released more than held");
	expect_panic(release_too_many_with_waiters, NULL, "semaphore: released more than held");
	expect_death(release_fresh, "panic: semaphore: released more than held\n");
}

static void
init_negative(void *s)
{
	weft_sem_init(s, -1);
}

static void
acquire_negative(void *s)
{
	weft_sem_acquire(s, -1, WEFT_NOW);
}

static void
try_negative(void *s)
{
	weft_sem_tryacquire(s, INT64_MIN);
}

static void
release_negative(void *s)
{
	weft_sem_release(s, -1);
}

/* A negative weight would add permits by taking and take by adding. */
TEST(negative_weights_panic)
{
	weft_sem s;

	weft_sem_init(&s, 1);
	expect_panic(init_negative, &s, "semaphore: negative weight");
	expect_panic(acquire_negative, &s, "semaphore: negative weight");
	expect_panic(try_negative, &s, "semaphore: negative weight");
	expect_panic(release_negative, &s, "semaphore: negative weight");
	EXPECT(weft_sem_tryacquire(&s, 1));
	EXPECT(!weft_sem_tryacquire(&s, 1));
}
