/*
 * weft_cond: a strict queue without spurious wake-ups; deadlines and cancellation lose no signal.
 */
#include "sync_util.h"

#include <stdio.h>

struct queue {
	weft_mutex m;
	weft_cond c;
	int waiting;		/* under m: have called wait */
	_Atomic int awake;
	int woken_id;		/* under m: who woke last */
	bool go_on;		/* under m */
	int next_id;		/* under m */
};

/* Until n wait: each queues before it lets go of the mutex, so seen under it they do. */
static void
await_waiting(struct queue *q, int n)
{
	for (;;) {
		int waiting;

		weft_mutex_lock(&q->m);
		waiting = q->waiting;
		weft_mutex_unlock(&q->m);
		if (waiting == n)
			return;
		weft_yield();
	}
}

/* ---- Signal and broadcast ---- */

static void
wait_once(void *p)
{
	struct queue *q = p;
	int id;

	weft_mutex_lock(&q->m);
	id = q->next_id++;
	q->waiting++;
	EXPECT_EQ(weft_cond_wait(&q->c, &q->m, WEFT_FOREVER), 0);
	EXPECT(!weft_mutex_trylock(&q->m));
	q->waiting--;
	q->woken_id = id;
	weft_mutex_unlock(&q->m);
	atomic_fetch_add(&q->awake, 1);
}

static void
signal_ten(void)
{
	for (int n_threads = 0; n_threads <= 4; n_threads += 4) {
		struct queue q = { 0 };
		struct crew c;

		crew_start(&c, wait_once, &q, 10, n_threads);
		await_waiting(&q, 10);
		for (int i = 0; i < 10; i++) {
			/* With and without the mutex: both are allowed. */
			if (i % 2 == 0)
				weft_mutex_lock(&q.m);
			weft_cond_signal(&q.c);
			if (i % 2 == 0)
				weft_mutex_unlock(&q.m);
			await_count(&q.awake, i + 1);
			weft_yield();
			EXPECT_EQ(atomic_load(&q.awake), i + 1);
		}
		crew_wait(&c);
		weft_cond_signal(&q.c);
	}
}

/* One signal, one goroutine: with two the second finds nothing to do, with none it hangs.
 * SCENARIOS 134. */
TEST(each_signal_wakes_exactly_one)
{
	on_1_2_4_procs(signal_ten);
}

static void
signal_generations(void)
{
	struct queue q = { 0 };

	for (int i = 0; i < 100; i++) {
		go(wait_once, &q);
		await_waiting(&q, i + 1);
	}
	for (int i = 0; i < 100; i++) {
		weft_mutex_lock(&q.m);
		weft_cond_signal(&q.c);
		weft_mutex_unlock(&q.m);
		await_count(&q.awake, i + 1);
		weft_mutex_lock(&q.m);
		EXPECT_EQ(q.woken_id, i);
		weft_mutex_unlock(&q.m);
	}
}

/* Out of order, the one that came first may wait for ever. SCENARIOS 135. */
TEST(signals_go_in_the_order_of_the_waits)
{
	on_1_2_4_procs(signal_generations);
}

static void
broadcast_all(void)
{
	for (int n_threads = 0; n_threads <= 8; n_threads += 4) {
		struct queue q = { 0 };
		struct crew c;

		weft_cond_broadcast(&q.c);
		crew_start(&c, wait_once, &q, 40, n_threads);
		await_waiting(&q, 40);
		weft_cond_broadcast(&q.c);
		crew_wait(&c);
		EXPECT_EQ(atomic_load(&q.awake), 40);
	}
}

/* One left behind by a broadcast (of a shutdown, say) is a hang. RELIABILITY 101. */
TEST(a_broadcast_wakes_all)
{
	on_1_2_4_procs(broadcast_all);
}

/* ---- Stealing ---- */

struct theft {
	weft_mutex m;
	weft_cond c;
	_Atomic bool waits, ready, is_done;
	_Atomic int ended;
};

static void
first_waiter(void *p)
{
	struct theft *t = p;

	weft_mutex_lock(&t->m);
	atomic_store(&t->waits, true);
	EXPECT_EQ(weft_cond_wait(&t->c, &t->m, WEFT_FOREVER), 0);
	weft_mutex_unlock(&t->m);
	atomic_store(&t->is_done, true);
	atomic_fetch_add(&t->ended, 1);
}

static void
second_waiter(void *p)
{
	struct theft *t = p;

	while (!atomic_load(&t->ready))
		weft_yield();
	weft_mutex_lock(&t->m);
	while (!t->is_done)
		EXPECT_EQ(weft_cond_wait(&t->c, &t->m, WEFT_FOREVER), 0);
	weft_mutex_unlock(&t->m);
	atomic_fetch_add(&t->ended, 1);
}

static void
no_signal_is_stolen(void)
{
	int rounds = scaled(1000);

	for (int i = 0; i < rounds; i++) {
		struct theft t = { 0 };

		go(first_waiter, &t);
		while (!atomic_load(&t.waits))
			weft_yield();
		weft_mutex_lock(&t.m);
		weft_mutex_unlock(&t.m);
		/* From here on the first one waits. The second begins after the signal. */
		go(second_waiter, &t);
		weft_cond_signal(&t.c);
		atomic_store(&t.ready, true);
		while (!atomic_load(&t.is_done))
			weft_yield();
		weft_mutex_lock(&t.m);
		weft_cond_broadcast(&t.c);
		weft_mutex_unlock(&t.m);
		while (atomic_load(&t.ended) != 2) {
			weft_cond_broadcast(&t.c);
			weft_yield();
		}
	}
}

/*
 * A signal is meant for who waits when it is sent. Taken by one that comes later, it is lost for
 * the first, which nobody will wake again. SCENARIOS 137.
 */
TEST(a_later_waiter_steals_no_signal)
{
	on_1_2_4_procs(no_signal_is_stolen);
}

/* ---- No spurious wake-ups, in a relay ---- */

struct relay {
	weft_mutex m;
	weft_cond c[4];
	int turn;		/* under m */
	int rounds;
	_Atomic int next_id;
};

static void
runner(void *p)
{
	struct relay *r = p;
	int id = atomic_fetch_add(&r->next_id, 1);

	weft_mutex_lock(&r->m);
	for (int i = 0; i < r->rounds; i++) {
		/* `if`, where other libraries need `while`. */
		if (r->turn != id)
			EXPECT_EQ(weft_cond_wait(&r->c[id], &r->m, WEFT_FOREVER), 0);
		EXPECT_EQ(r->turn, id);
		r->turn = (id + 1) % 4;
		weft_cond_signal(&r->c[r->turn]);
	}
	weft_mutex_unlock(&r->m);
}

static void
run_relay(void)
{
	for (int n_threads = 0; n_threads <= 4; n_threads += 2) {
		struct relay r = { .rounds = scaled(n_threads == 0 ? 2000 : 300) };

		crew_run(runner, &r, 4, n_threads);
		EXPECT_EQ(r.turn, 0);
	}
}

/* Goroutines and threads pass a turn on; one wake too many or too few and it fails or hangs. */
TEST(a_wait_ends_only_by_a_signal)
{
	on_1_2_4_procs(run_relay);
}

/* ---- Deadlines and cancellation ---- */

static void
expect_timeout(struct queue *q, int64_t deadline)
{
	EXPECT_EQ(weft_cond_wait(&q->c, &q->m, deadline), -ETIMEDOUT);
	EXPECT(weft_now() >= deadline);
	EXPECT(!weft_mutex_trylock(&q->m));
}

TEST(wait_gives_up_at_its_deadline_and_holds_the_mutex)
{
	static struct queue q;

	weft_mutex_lock(&q.m);
	expect_timeout(&q, WEFT_NOW);
	expect_timeout(&q, INT64_MIN);
	expect_timeout(&q, weft_now());
	expect_timeout(&q, weft_in(2 * MS));
	weft_mutex_unlock(&q.m);
	/* Nothing of it is left in the queue: a signal is for nobody. */
	weft_cond_signal(&q.c);
	weft_mutex_lock(&q.m);
	expect_timeout(&q, weft_in(1 * MS));
	weft_mutex_unlock(&q.m);
}

static int
wait_in_scope(void *p)
{
	struct queue *q = p;

	weft_mutex_lock(&q->m);
	q->waiting++;
	EXPECT_EQ(weft_cond_wait(&q->c, &q->m, weft_in(60 * SECOND)), -ECANCELED);
	EXPECT(!weft_mutex_trylock(&q->m));
	EXPECT_EQ(weft_cond_wait(&q->c, &q->m, WEFT_FOREVER), -ECANCELED);
	weft_mutex_unlock(&q->m);
	return 0;
}

static void
cancel_waiters(void)
{
	struct queue q = { 0 };
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	EXPECT_EQ(weft_scope_go(s, wait_in_scope, &q), 0);
	EXPECT_EQ(weft_scope_go(s, wait_in_scope, &q), 0);
	await_waiting(&q, 2);
	weft_scope_cancel(s, -EINTR);
	weft_scope_free(s);
	EXPECT(weft_mutex_trylock(&q.m));
}

/* A cancelled goroutine that did not hold the mutex after the wait would corrupt what it guards. */
TEST(cancellation_ends_the_wait_with_the_mutex_held)
{
	on_1_2_4_procs(cancel_waiters);
}

struct duel {
	weft_mutex m;
	weft_cond c;
	int64_t deadline;
	int waiting;			/* under m */
	_Atomic int impatient;		/* 0 waits, else its result + 1000 */
	_Atomic bool patient_woke;
};

static void
impatient(void *p)
{
	struct duel *d = p;
	int r;

	weft_mutex_lock(&d->m);
	d->waiting++;
	r = weft_cond_wait(&d->c, &d->m, d->deadline);
	weft_mutex_unlock(&d->m);
	atomic_store(&d->impatient, r + 1000);
}

static void
patient(void *p)
{
	struct duel *d = p;

	weft_mutex_lock(&d->m);
	d->waiting++;
	EXPECT_EQ(weft_cond_wait(&d->c, &d->m, WEFT_FOREVER), 0);
	weft_mutex_unlock(&d->m);
	atomic_store(&d->patient_woke, true);
}

static int
waiting_in(struct duel *d)
{
	int n;

	weft_mutex_lock(&d->m);
	n = d->waiting;
	weft_mutex_unlock(&d->m);
	return n;
}

static void
signal_at_the_deadline(void)
{
	int rounds = scaled(1000);

	for (int i = 0; i < rounds; i++) {
		struct duel d = { .deadline = weft_in((40 + i % 40) * US) };

		go(impatient, &d);
		while (waiting_in(&d) < 1)
			weft_yield();
		go(patient, &d);
		while (waiting_in(&d) < 2)
			weft_yield();
		while (weft_now() < d.deadline + (i % 16 - 4) * US)
			continue;
		weft_cond_signal(&d.c);
		while (atomic_load(&d.impatient) == 0)
			weft_yield();
		/*
		 * Either the impatient one had it, and the other one still waits; or he must get
		 * it.
		 */
		if (atomic_load(&d.impatient) == 1000) {
			EXPECT(!atomic_load(&d.patient_woke));
			weft_cond_signal(&d.c);
		}
		while (!atomic_load(&d.patient_woke))
			weft_yield();
	}
}

/*
 * A signal that was given to a waiter in the moment its deadline passed must go to the next, or it
 * is lost and the next sleeps for ever. RELIABILITY 102.
 */
TEST(a_signal_is_not_lost_in_a_waiter_that_gives_up)
{
	on_1_2_4_procs(signal_at_the_deadline);
}

/* ---- Producers and consumers, all kinds at once ---- */

struct depot {
	weft_mutex m;
	weft_cond not_empty, not_full;
	int stock;		/* under m, 0..4 */
	int to_make, to_take;	/* under m */
};

static void
produce(void *p)
{
	struct depot *d = p;

	for (;;) {
		weft_mutex_lock(&d->m);
		if (d->to_make == 0) {
			weft_mutex_unlock(&d->m);
			return;
		}
		d->to_make--;
		while (d->stock == 4)
			(void)weft_cond_wait(&d->not_full, &d->m, WEFT_FOREVER);
		d->stock++;
		weft_cond_signal(&d->not_empty);
		weft_mutex_unlock(&d->m);
	}
}

static void
consume(void *p)
{
	struct depot *d = p;
	unsigned rnd = (unsigned)weft_goid() * 2654435761u;

	for (;;) {
		weft_mutex_lock(&d->m);
		if (d->to_take == 0) {
			weft_mutex_unlock(&d->m);
			return;
		}
		d->to_take--;
		while (d->stock == 0) {
			rnd = rnd * 1664525u + 1013904223u;
			(void)weft_cond_wait(&d->not_empty, &d->m,
			    rnd % 2 == 0 ? WEFT_FOREVER : weft_in((rnd >> 16) % 50 * US));
		}
		d->stock--;
		weft_cond_signal(&d->not_full);
		weft_mutex_unlock(&d->m);
	}
}

static void
run_depot(void)
{
	struct depot d = { .to_make = scaled(4000), .to_take = scaled(4000) };
	struct crew a, b;

	crew_start(&a, produce, &d, 5, 2);
	crew_start(&b, consume, &d, 5, 2);
	crew_wait(&a);
	crew_wait(&b);
	EXPECT_EQ(d.stock, 0);
}

/* The textbook bounded buffer, with half the consumers impatient: it must never stop. */
TEST(producers_and_consumers_come_to_an_end)
{
	on_1_2_4_procs(run_depot);
}

/* ---- Misuse ---- */

static void
signal_it(void *c)
{
	weft_cond_signal(c);
}

static void
broadcast_it(void *c)
{
	weft_cond_broadcast(c);
}

static void
wait_on_it(void *c)
{
	weft_mutex m = { 0 };

	weft_mutex_lock(&m);
	weft_cond_wait(c, &m, WEFT_NOW);
}

/* A copy has the waiters of the original in it, and neither has them right. SCENARIOS 138. */
TEST(a_copy_of_a_used_cond_panics)
{
	weft_cond used = { 0 }, fresh = { 0 }, copy;

	copy = fresh;
	weft_cond_signal(&copy);
	weft_cond_signal(&used);
	copy = used;
	expect_panic(signal_it, &copy, "sync.Cond is copied");
	expect_panic(broadcast_it, &copy, "sync.Cond is copied");
	expect_panic(wait_on_it, &copy, "sync.Cond is copied");
	weft_cond_broadcast(&used);
}

struct two_mutexes {
	weft_cond c;
	weft_mutex a, b;
	bool waits;			/* under a */
	_Atomic int64_t id;
};

static void
wait_with_a(void *p)
{
	struct two_mutexes *t = p;

	t->id = (int64_t)weft_goid();
	weft_mutex_lock(&t->a);
	t->waits = true;
	EXPECT_EQ(weft_cond_wait(&t->c, &t->a, WEFT_FOREVER), 0);
	weft_mutex_unlock(&t->a);
}

static void
wait_with_b(void *p)
{
	struct two_mutexes *t = p;

	weft_mutex_lock(&t->b);
	(void)weft_cond_wait(&t->c, &t->b, WEFT_FOREVER);
}

/*
 * What one of them waits for can be changed under the other's mutex, and the signal comes before
 * the wait: somebody sleeps for ever, now and then. It is found out at once, and the condition goes
 * on as it was.
 */
TEST(waiting_with_two_mutexes_at_once_panics)
{
	struct two_mutexes t = { 0 };
	struct crew crew;
	char text[200];

	crew_start(&crew, wait_with_a, &t, 1, 0);
	for (bool waits = false; !waits; weft_yield()) {
		weft_mutex_lock(&t.a);
		waits = t.waits;
		weft_mutex_unlock(&t.a);
	}
	snprintf(text, sizeof(text), "sync.Cond is waited for with two mutexes at once: "
	    "goroutine %lld has another; use one for all that wait", (long long)t.id);
	expect_panic(wait_with_b, &t, text);
	EXPECT(!weft_mutex_trylock(&t.b));
	weft_cond_signal(&t.c);
	crew_wait(&crew);
	/* One after the other is right. */
	EXPECT_EQ(weft_cond_wait(&t.c, &t.b, WEFT_NOW), -ETIMEDOUT);
	weft_mutex_unlock(&t.b);
}

static void
wait_without_mutex(void *unused)
{
	weft_mutex m = { 0 };
	weft_cond c = { 0 };

	(void)unused;
	weft_cond_wait(&c, &m, WEFT_FOREVER);
}

/* SCENARIOS 121. */
TEST(waiting_without_the_mutex_is_fatal)
{
	expect_death(wait_without_mutex, "fatal error: sync: unlock of unlocked mutex\n");
}
