/*
 * weft_mutex: exclusion, fairness, deadlines, misuse, and that unlock is done with it. The windows
 * of its protocol: test/unit/sync_mutex.c.
 */
#include "sync_util.h"

/* ---- Exclusion ---- */

struct counter {
	weft_mutex m;
	long n;			/* under m */
	bool inside;		/* under m */
	int rounds;
	_Atomic int failed_tries;
};

static void
enter_and_leave(struct counter *c)
{
	EXPECT(!c->inside);
	c->inside = true;
	c->n++;
	c->inside = false;
	weft_mutex_unlock(&c->m);
}

static void
count(void *p)
{
	struct counter *c = p;

	for (int i = 0; i < c->rounds; i++) {
		weft_mutex_lock(&c->m);
		enter_and_leave(c);
	}
}

/* Every third time without waiting, as Go's HammerMutex does. */
static void
count_or_give_up(void *p)
{
	struct counter *c = p;

	for (int i = 0; i < c->rounds; i++) {
		if (i % 3 == 0 && !weft_mutex_trylock(&c->m)) {
			atomic_fetch_add(&c->failed_tries, 1);
			continue;
		}
		if (i % 3 != 0)
			weft_mutex_lock(&c->m);
		enter_and_leave(c);
	}
}

static void
many_count(void)
{
	for (int n_threads = 0; n_threads <= 5; n_threads += 5) {
		struct counter c = { .rounds = 1000 }, d = { .rounds = 1000 };

		crew_run(count, &c, 10, n_threads);
		EXPECT_EQ(c.n, 10 * 1000);
		crew_run(count_or_give_up, &d, 10, n_threads);
		EXPECT_EQ(d.n + d.failed_tries, 10 * 1000);
	}
}

/* Two owners at once: every program that counts, or has a list, is wrong. SCENARIOS 120. */
TEST(one_owner_at_a_time)
{
	on_1_2_4_procs(many_count);
}

/* SCENARIOS 120. A trylock that can't succeed, or succeeds twice, is no lock. */
TEST(trylock_succeeds_when_free_and_only_then)
{
	static weft_mutex m;

	EXPECT(weft_mutex_trylock(&m));
	EXPECT(!weft_mutex_trylock(&m));
	weft_mutex_unlock(&m);
	EXPECT(weft_mutex_trylock(&m));
	weft_mutex_unlock(&m);
	weft_mutex_lock(&m);
	EXPECT(!weft_mutex_trylock(&m));
	weft_mutex_unlock(&m);
}

struct work {
	weft_mutex m;
	int64_t sum;
	int rounds;
};

static void
work_inside(void *p)
{
	struct work *w = p;

	for (int i = 0; i < w->rounds; i++) {
		weft_mutex_lock(&w->m);
		w->sum++;
		if (i % 8 == 0)
			weft_yield();
		if (i % 64 == 0)
			weft_sleep(10 * US);
		weft_mutex_unlock(&w->m);
	}
}

static void
owners_that_park(void)
{
	struct work w = { .rounds = scaled(400) };

	crew_run(work_inside, &w, 20, 4);
	EXPECT_EQ(w.sum, 20 * w.rounds);
}

/* An owner that parks must keep the lock; the others must wait without a thread each. */
TEST(an_owner_may_park)
{
	on_1_2_4_procs(owners_that_park);
}

static void
unlock_it(void *p)
{
	weft_mutex_unlock(p);
}

/* A mutex belongs to nobody: one locks, another unlocks. Programs use it as a signal. */
TEST(another_may_unlock)
{
	weft_mutex m = { 0 };

	for (int n_threads = 0; n_threads <= 1; n_threads++) {
		weft_mutex_lock(&m);
		crew_run(unlock_it, &m, 1, n_threads);
		EXPECT(weft_mutex_trylock(&m));
		weft_mutex_unlock(&m);
		/* And one that waits for it. */
		weft_mutex_lock(&m);
		go(unlock_it, &m);
		weft_mutex_lock(&m);
		weft_mutex_unlock(&m);
	}
}

/* ---- Many mutexes ---- */

#define N_MUTEXES 1000

struct table {
	weft_mutex m[N_MUTEXES];
	int got[N_MUTEXES];		/* under m[i] */
	_Atomic int next, waiting, done;
};

static void
wait_for_mine(void *p)
{
	struct table *t = p;
	int i = atomic_fetch_add(&t->next, 1);

	atomic_fetch_add(&t->waiting, 1);
	weft_mutex_lock(&t->m[i]);
	t->got[i]++;
	weft_mutex_unlock(&t->m[i]);
	atomic_fetch_add(&t->done, 1);
}

static void
wake_in_random_order(void)
{
	static struct table t;
	int order[N_MUTEXES];
	uint64_t seed = test_seed();

	memset(&t, 0, sizeof(t));
	for (int i = 0; i < N_MUTEXES; i++) {
		weft_mutex_lock(&t.m[i]);
		order[i] = i;
		go(wait_for_mine, &t);
	}
	await_count(&t.waiting, N_MUTEXES);
	for (int i = N_MUTEXES - 1; i > 0; i--) {
		int j = (int)(test_rand(&seed) % (uint64_t)(i + 1)), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (int i = 0; i < N_MUTEXES; i++) {
		EXPECT_EQ(t.got[order[i]], 0);
		weft_mutex_unlock(&t.m[order[i]]);
		await_count(&t.done, i + 1);
		EXPECT_EQ(t.got[order[i]], 1);
	}
}

/* A wake that goes to the waiter of another lock leaves both wrong. SCENARIOS 147. */
TEST(of_a_thousand_mutexes_each_wakes_its_own_waiter)
{
	on_1_2_4_procs(wake_in_random_order);
}

/* ---- Fairness ---- */

struct rivals {
	weft_mutex m;
	_Atomic bool stop;
	void (*hold)(int64_t ns);
};

static void
sleep_ns(int64_t ns)
{
	weft_sleep(ns);
}

static void
hog(void *p)
{
	struct rivals *r = p;

	while (!atomic_load(&r->stop)) {
		weft_mutex_lock(&r->m);
		r->hold(100 * US);
		weft_mutex_unlock(&r->m);
	}
}

static void
take_ten(void *p)
{
	struct rivals *r = p;

	for (int i = 0; i < 10; i++) {
		weft_sleep(100 * US);
		weft_mutex_lock(&r->m);
		weft_mutex_unlock(&r->m);
	}
	atomic_store(&r->stop, true);
}

static void
modest_against_hog(void)
{
	for (int i = 0; i < 4; i++) {
		struct rivals r = { .hold = i % 2 == 0 ? sleep_ns : compute };
		struct crew a, b;

		crew_start(&a, hog, &r, 1, /* n_threads */ i / 2);
		crew_start(&b, take_ten, &r, 1, /* n_threads */ 0);
		crew_wait(&b);
		crew_wait(&a);
	}
}

/*
 * One goroutine holds the lock nearly always, and takes it again right after unlock. Without
 * hand-over the other one finds it locked again each time it wakes, and this has no end.
 * SCENARIOS 122.
 */
TEST(a_hog_can_not_keep_it_for_ever)
{
	on_1_2_4_procs(modest_against_hog);
}

/* ---- Deadlines ---- */

TEST(lock_until_gives_up_at_its_deadline_and_not_before)
{
	static weft_mutex m;
	int64_t deadline;

	EXPECT_EQ(weft_mutex_lock_until(&m, WEFT_NOW), 0);
	EXPECT_EQ(weft_mutex_lock_until(&m, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_mutex_lock_until(&m, 1), -ETIMEDOUT);
	EXPECT_EQ(weft_mutex_lock_until(&m, INT64_MIN), -ETIMEDOUT);
	deadline = weft_in(3 * MS);
	EXPECT_EQ(weft_mutex_lock_until(&m, deadline), -ETIMEDOUT);
	EXPECT(weft_now() >= deadline);
	weft_mutex_unlock(&m);
	EXPECT_EQ(weft_mutex_lock_until(&m, WEFT_FOREVER), 0);
	weft_mutex_unlock(&m);
}

static void
count_impatiently(void *p)
{
	struct counter *c = p;
	unsigned rnd = (unsigned)weft_goid() * 2654435761u;

	for (int i = 0; i < c->rounds; i++) {
		rnd = rnd * 1664525u + 1013904223u;
		if (weft_mutex_lock_until(&c->m, weft_in((rnd >> 16) % 64 * US)) != 0) {
			atomic_fetch_add(&c->failed_tries, 1);
			continue;
		}
		if (rnd % 16 == 0)
			compute(20 * US);
		enter_and_leave(c);
	}
}

static void
impatient_and_patient(void)
{
	struct counter c = { .rounds = scaled(2000) };
	struct crew a, b;

	crew_start(&a, count_impatiently, &c, 8, 2);
	crew_start(&b, count, &c, 4, 1);
	crew_wait(&a);
	crew_wait(&b);
	EXPECT_EQ(c.n + c.failed_tries, 12 * c.rounds);
	EXPECT(weft_mutex_trylock(&c.m));
}

/*
 * A waiter whose deadline passes just when unlock has chosen it: the wake must not be lost with it,
 * or those behind it sleep beside a free mutex. RELIABILITY 102, 103.
 */
TEST(waiters_that_give_up_take_no_wake_with_them)
{
	on_1_2_4_procs(impatient_and_patient);
}

struct in_scope {
	weft_mutex m;
	_Atomic int about_to_lock;
	_Atomic bool got;
};

static int
lock_while_cancelled(void *p)
{
	struct in_scope *s = p;

	atomic_store(&s->about_to_lock, 1);
	weft_mutex_lock(&s->m);
	atomic_store(&s->got, true);
	weft_mutex_unlock(&s->m);
	return 0;
}

/* Locks are not cancellable: code between lock and unlock must not run without the lock. */
TEST(cancellation_does_not_end_the_wait)
{
	struct in_scope s = { 0 };
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

	weft_mutex_lock(&s.m);
	EXPECT_EQ(weft_scope_go(scope, lock_while_cancelled, &s), 0);
	await_count(&s.about_to_lock, 1);
	weft_scope_cancel(scope, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(scope, weft_in(5 * MS)), -ETIMEDOUT);
	EXPECT(!atomic_load(&s.got));
	weft_mutex_unlock(&s.m);
	weft_scope_free(scope);
	EXPECT(atomic_load(&s.got));
}

/* ---- Lifetime ---- */

struct object {
	weft_mutex m;
	int refs;		/* under m */
	_Atomic int *freed;
	bool use_deadline;
};

static void
drop(void *p)
{
	struct object *o = p;
	_Atomic int *freed = o->freed;
	bool last;

	if (o->use_deadline) {
		while (weft_mutex_lock_until(&o->m, weft_in(2 * US)) != 0)
			continue;
	} else {
		weft_mutex_lock(&o->m);
	}
	last = --o->refs == 0;
	weft_mutex_unlock(&o->m);
	if (last) {
		/* A touch from an unlock that is still under way would be lost in this. */
		memset(o, 0x5a, sizeof(*o));
		free(o);
		atomic_fetch_add(freed, 1);
	}
}

static void
last_owner_frees(void)
{
	_Atomic int freed = 0;
	int rounds = scaled(10000);

	for (int i = 0; i < rounds; i++) {
		struct object *o = calloc(1, sizeof(*o));

		o->refs = 3;
		o->freed = &freed;
		o->use_deadline = i % 2 == 1;
		go(drop, o);
		go(drop, o);
		drop(o);
		if (i % 8 == 0)
			await_count(&freed, i + 1);
	}
	await_count(&freed, rounds);
}

/*
 * The next owner frees the object that the mutex is in, while the one before is still inside its
 * unlock: a use after free in every reference count guarded by a mutex. ASan sees it.
 */
TEST(unlock_is_done_with_it_when_the_next_owner_frees_it)
{
	on_1_2_4_procs(last_owner_frees);
}

/* ---- Misuse ---- */

static void
unlock_fresh(void *unused)
{
	weft_mutex m = { 0 };

	(void)unused;
	weft_mutex_unlock(&m);
}

static void
unlock_twice(void *unused)
{
	weft_mutex m = { 0 };

	(void)unused;
	weft_mutex_lock(&m);
	weft_mutex_unlock(&m);
	weft_mutex_unlock(&m);
}

static void
unlock_in_try(void *unused)
{
	(void)unused;
	weft_try(unlock_fresh, NULL, NULL, 0);
}

static void *
unlock_thread(void *p)
{
	unlock_fresh(p);
	return NULL;
}

static void
unlock_on_thread(void *unused)
{
	pthread_t t;

	(void)unused;
	pthread_create(&t, NULL, unlock_thread, NULL);
	pthread_join(t, NULL);
}

/*
 * The program believes that it holds a lock and does not: going on would corrupt what the lock
 * guards, so nothing may recover it. SCENARIOS 121.
 */
TEST(unlock_of_unlocked_is_fatal)
{
	expect_death(unlock_fresh, "fatal error: sync: unlock of unlocked mutex\n");
	expect_death(unlock_twice, "fatal error: sync: unlock of unlocked mutex\n");
	expect_death(unlock_in_try, "fatal error: sync: unlock of unlocked mutex\n");
	expect_death(unlock_on_thread, "fatal error: sync: unlock of unlocked mutex\n");
}

static void
lock_twice(void *unused)
{
	weft_mutex m = { 0 };

	(void)unused;
	weft_mutex_lock(&m);
	weft_mutex_lock(&m);
}

/* It is not recursive: who locks it twice waits for himself, and is told so when all wait. */
TEST(locking_twice_is_a_deadlock)
{
	expect_death(lock_twice, "fatal error: all goroutines are asleep - deadlock!\n");
}

/* A mutex is embedded in user's structs by the million: its size is a promise. */
TEST(sizes_are_as_promised)
{
	EXPECT(sizeof(weft_mutex) <= 16);
	EXPECT(sizeof(weft_waitgroup) <= 16);
}
