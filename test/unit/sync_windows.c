/*
 * Rwmutex, cond, waitgroup and sem with a thread stopped between two steps of their protocols
 * (src/sync/README.md). Every one of these windows is a few instructions wide and would be met
 * once in a million runs.
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include "base/atomic.h"
#include "hold.h"
#include "sync/bias.h"

#define MS ((int64_t)1000000)

/* What all the little goroutines below share. */
struct stage {
	weft_rwmutex rw;
	weft_mutex m;
	weft_cond c;
	weft_waitgroup wg;
	weft_sem sem;
	void (*fn)(void *);		/* what runs in the scope */
	weft_scope *scope;		/* of one that is to give up */
	int64_t n;			/* permits */
	int64_t deadline;
	_Atomic int result;		/* of the last to end, + 1000 */
	_Atomic int n_log;
	char log[16];			/* who was inside, in order; under rw */
	_Atomic int ended;
};

static void
set_stage(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	s->deadline = WEFT_FOREVER;
	weft_gomaxprocs(4);
}

static void
end(struct stage *s, int result)
{
	wf_store_release(&s->result, result + 1000);
	wf_add_release(&s->ended, 1);
}

static void
await_ended(struct stage *s, int n)
{
	while (wf_load_acquire(&s->ended) != n)
		weft_yield();
}

static void
start(void (*fn)(void *), struct stage *s)
{
	EXPECT_EQ(weft_go(fn, s), 0);
}

static int
run_in_scope(void *p)
{
	struct stage *s = p;

	s->fn(s);
	return 0;
}

/*
 * Starts one that is to give up its wait, when its scope is cancelled: a deadline could pass before
 * it waits. Both take the same way.
 */
static void
start_in_scope(void (*fn)(void *), struct stage *s)
{
	s->fn = fn;
	s->scope = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT(s->scope != NULL);
	EXPECT_EQ(weft_scope_go(s->scope, run_in_scope, s), 0);
}

static void
end_scope(struct stage *s)
{
	weft_scope_cancel(s->scope, -ECANCELED);
}

/* Returns when it is held at the point. */
static void
start_and_hold(const char *point, void (*fn)(void *), struct stage *s)
{
	hold_at(point);
	start(fn, s);
	hold_await(point);
}

static void
note(struct stage *s, char who)
{
	s->log[wf_add_relaxed(&s->n_log, 1)] = who;
}

/* ---- RWMutex ---- */

/* The number of readers and writers in its word. */
static uint64_t
word_of(struct stage *s)
{
	return wf_load_acquire((_Atomic uint64_t *)(void *)&s->rw) % WORD_ENTRY;
}

#define READERS(n) ((uint64_t)(n))
#define WRITERS(n) ((uint64_t)(n) << 32)

static void
write_once(void *p)
{
	struct stage *s = p;

	weft_rwmutex_lock(&s->rw);
	note(s, 'w');
	weft_rwmutex_unlock(&s->rw);
	end(s, 0);
}

static void
read_once(void *p)
{
	struct stage *s = p;

	weft_rwmutex_rlock(&s->rw);
	note(s, 'r');
	weft_rwmutex_runlock(&s->rw);
	end(s, 0);
}

static void
unlock_rw(void *p)
{
	struct stage *s = p;

	weft_rwmutex_unlock(&s->rw);
	end(s, 0);
}

static void
await_word(struct stage *s, uint64_t word)
{
	while (word_of(s) != word)
		weft_yield();
}

/* Readers that came while a writer held go before the next writer, which came first. */
TEST(rwmutex_unlock_lets_waiting_readers_in_first)
{
	struct stage s;

	set_stage(&s);
	weft_rwmutex_lock(&s.rw);
	start(write_once, &s);
	weft_sleep(1 * MS);	/* not needed for the result: it makes the writer be the first */
	start(read_once, &s);
	start(read_once, &s);
	await_word(&s, WRITERS(1) + READERS(2));
	weft_rwmutex_unlock(&s.rw);
	await_ended(&s, 3);
	EXPECT_STR(s.log, "rrw");
	EXPECT_EQ(word_of(&s), 0);
}

/*
 * A writer leaves: it has unlocked the inner mutex (W8) and is still counted (W9). The next
 * writer gets the mutex and finds two writers. It must wait, for the readers too, and must be
 * told.
 */
static void
meet_leaving_writer(struct stage *s, int readers)
{
	memset(s->log, 0, sizeof(s->log));
	s->n_log = s->ended = 0;
	weft_rwmutex_lock(&s->rw);
	if (readers > 0) {
		start(read_once, s);
		await_word(s, WRITERS(1) + READERS(1));
	}
	start_and_hold("rwmutex.writers_unlocked", unlock_rw, s);
	start(write_once, s);
	await_word(s, WRITERS(2) + READERS(readers));
	EXPECT(!weft_rwmutex_tryrlock(&s->rw));
	EXPECT(!weft_rwmutex_trylock(&s->rw));
	weft_sleep(2 * MS);	/* for the writer to get in, if it can */
	EXPECT_EQ(s->n_log, 0);
	hold_release("rwmutex.writers_unlocked");
	await_ended(s, 2 + readers);
	EXPECT_STR(s->log, readers > 0 ? "rw" : "w");
	EXPECT_EQ(word_of(s), 0);
}

TEST(rwmutex_a_writer_meets_one_that_leaves)
{
	struct stage s;

	set_stage(&s);
	meet_leaving_writer(&s, 0);
	meet_leaving_writer(&s, 1);
}

/* The same, and the old writer is gone before the new one looks (W7): it was let in meanwhile. */
TEST(rwmutex_a_writer_is_let_in_before_it_waits)
{
	struct stage s;

	set_stage(&s);
	weft_rwmutex_lock(&s.rw);
	start_and_hold("rwmutex.writers_unlocked", unlock_rw, &s);
	start_and_hold("rwmutex.writer_counted", write_once, &s);
	hold_release("rwmutex.writers_unlocked");
	await_ended(&s, 1);
	hold_release("rwmutex.writer_counted");
	await_ended(&s, 2);
	EXPECT_EQ(word_of(&s), 0);
}

/* The last reader leaves between a writer's count (W6) and its wait (W7). */
TEST(rwmutex_readers_leave_before_the_writer_has_added_them)
{
	struct stage s;

	set_stage(&s);
	weft_rwmutex_rlock(&s.rw);
	weft_rwmutex_rlock(&s.rw);
	start_and_hold("rwmutex.writer_counted", write_once, &s);
	weft_rwmutex_runlock(&s.rw);
	weft_rwmutex_runlock(&s.rw);
	start(read_once, &s);
	await_word(&s, WRITERS(1) + READERS(1));
	hold_release("rwmutex.writer_counted");
	await_ended(&s, 2);
	EXPECT_STR(s.log, "wr");
	EXPECT_EQ(word_of(&s), 0);
	/* No pass was left behind for a writer that would have to wait. */
	meet_leaving_writer(&s, 0);
}

/* A reader is counted (W1) and has not queued (W2) when the writer lets it in. */
TEST(rwmutex_a_reader_is_let_in_before_it_waits)
{
	struct stage s;

	set_stage(&s);
	weft_rwmutex_lock(&s.rw);
	start_and_hold("rwmutex.reader_counted", read_once, &s);
	weft_rwmutex_unlock(&s.rw);
	hold_release("rwmutex.reader_counted");
	await_ended(&s, 1);
	EXPECT_EQ(word_of(&s), 0);
	/* Its pass is used up: the next reader has to wait for the next writer. */
	weft_rwmutex_lock(&s.rw);
	start(read_once, &s);
	await_word(&s, WRITERS(1) + READERS(1));
	weft_sleep(2 * MS);
	EXPECT_EQ(s.ended, 1);
	weft_rwmutex_unlock(&s.rw);
	await_ended(&s, 2);
}

/* ---- Cond ---- */

static void
wait_cond(void *p)
{
	struct stage *s = p;
	int64_t deadline = s->deadline;
	int r;

	weft_mutex_lock(&s->m);
	r = weft_cond_wait(&s->c, &s->m, deadline);
	weft_mutex_unlock(&s->m);
	end(s, r);
}

/* A signal that comes when a waiter has let go of the mutex and does not sleep yet (C2, C3). */
TEST(cond_a_signal_before_the_park_counts)
{
	for (int broadcast = 0; broadcast <= 1; broadcast++) {
		struct stage s;

		set_stage(&s);
		start_and_hold("cond.unlocked", wait_cond, &s);
		weft_mutex_lock(&s.m);
		if (broadcast)
			weft_cond_broadcast(&s.c);
		else
			weft_cond_signal(&s.c);
		weft_mutex_unlock(&s.m);
		/* It is spent: this one is for nobody. */
		weft_cond_signal(&s.c);
		hold_release("cond.unlocked");
		await_ended(&s, 1);
		EXPECT_EQ(s.result, 1000);
		/* Its count of waiters, the second word: at 0 a signal is one load. */
		EXPECT_EQ(wf_load_acquire((_Atomic uint32_t *)(void *)&s.c + 1), 0);
	}
}

/* ... and is spent: the next waiter, which is parked already, does not get it too. */
TEST(cond_a_signal_before_the_park_wakes_one)
{
	struct stage s;

	set_stage(&s);
	start_and_hold("cond.unlocked", wait_cond, &s);
	start_and_hold("cond.parking", wait_cond, &s);
	hold_release("cond.parking");
	weft_cond_signal(&s.c);
	hold_release("cond.unlocked");
	await_ended(&s, 1);
	weft_sleep(2 * MS);
	EXPECT_EQ(s.ended, 1);
	weft_cond_signal(&s.c);
	await_ended(&s, 2);
}

/* ... also when its deadline passes before it looks. */
TEST(cond_a_signal_before_the_park_beats_the_deadline)
{
	struct stage s;

	set_stage(&s);
	s.deadline = weft_in(50 * MS);
	start_and_hold("cond.unlocked", wait_cond, &s);
	weft_cond_signal(&s.c);
	while (weft_now() < s.deadline)
		continue;
	hold_release("cond.unlocked");
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 1000);
}

/* A waiter has given up and is still in the queue: a signal goes to the next. RELIABILITY 102. */
TEST(cond_a_signal_skips_one_that_is_giving_up)
{
	struct stage s;

	set_stage(&s);
	hold_at("cond.gave_up");
	hold_at("cond.parking");
	start_in_scope(wait_cond, &s);
	hold_await("cond.parking");
	end_scope(&s);
	hold_release("cond.parking");
	hold_await("cond.gave_up");
	start_and_hold("cond.unlocked", wait_cond, &s);
	hold_release("cond.unlocked");
	weft_cond_signal(&s.c);
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 1000);
	hold_release("cond.gave_up");
	await_ended(&s, 2);
	EXPECT_EQ(s.result, 1000 - ECANCELED);
	weft_scope_free(s.scope);
}

/* ---- WaitGroup ---- */

static void
done_wg(void *p)
{
	struct stage *s = p;

	weft_waitgroup_done(&s->wg);
	end(s, 0);
}

static void
wait_wg(void *p)
{
	struct stage *s = p;

	end(s, weft_waitgroup_wait(&s->wg, s->deadline));
}

/* Its state, the first word: counter * 4, and 1 or 2 when somebody waits. */
static int
wg_state(struct stage *s)
{
	return wf_load_acquire((_Atomic int32_t *)(void *)&s->wg);
}

static void
await_wg_waiter(struct stage *s)
{
	while ((wg_state(s) & 3) == 0)
		weft_yield();
}

/* One waits alone: announced (G6), and still on its stack. */
static void
hold_alone(struct stage *s)
{
	set_stage(s);
	weft_waitgroup_add(&s->wg, 1);
	start_and_hold("waitgroup.alone", wait_wg, s);
	EXPECT_EQ(wg_state(s), 4 + 2);
}

/* The last done() comes just then (G8): it waits until the other has left, and wakes it. */
TEST(waitgroup_done_awaits_who_is_about_to_wait)
{
	struct stage s;

	hold_alone(&s);
	start(done_wg, &s);
	while (wg_state(&s) != 2)
		weft_yield();
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), -ETIMEDOUT);
	hold_await_nap();
	EXPECT_EQ(s.ended, 0);
	hold_release("waitgroup.alone");
	await_ended(&s, 2);
	EXPECT_EQ(wg_state(&s), 0);
}

/* A second one comes just then (G7): one that can't wait leaves, the other waits beside it. */
TEST(waitgroup_two_wait_and_one_was_alone)
{
	struct stage s;

	hold_alone(&s);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, weft_in(1 * MS)), -ETIMEDOUT);
	start(wait_wg, &s);
	hold_await_nap();
	EXPECT_EQ(wg_state(&s), 4 + 2);
	hold_release("waitgroup.alone");
	while (wg_state(&s) != 4 + 1)
		weft_yield();
	weft_waitgroup_done(&s.wg);
	await_ended(&s, 2);
	EXPECT_EQ(wg_state(&s), 0);
}

/*
 * The last done() has found a waiter (G1) and has not released it yet (G2). Until it has the
 * group is not done: a wait that returned 0 now could free it. One that waits on is released.
 */
TEST(waitgroup_is_not_done_before_its_release)
{
	struct stage s;

	set_stage(&s);
	weft_waitgroup_add(&s.wg, 1);
	start(wait_wg, &s);
	await_wg_waiter(&s);
	start_and_hold("waitgroup.zero", done_wg, &s);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, weft_in(1 * MS)), -ETIMEDOUT);
	start(wait_wg, &s);
	weft_sleep(1 * MS);
	EXPECT_EQ(s.ended, 0);
	hold_release("waitgroup.zero");
	await_ended(&s, 3);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), 0);
}

/* The same, and its only waiter leaves at just that time: nobody may take the bit from done(). */
TEST(waitgroup_release_finds_its_waiter_gone)
{
	struct stage s;

	set_stage(&s);
	weft_waitgroup_add(&s.wg, 1);
	start_in_scope(wait_wg, &s);
	await_wg_waiter(&s);
	start_and_hold("waitgroup.zero", done_wg, &s);
	end_scope(&s);
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 1000 - ECANCELED);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), -ETIMEDOUT);
	hold_release("waitgroup.zero");
	/* From here on nothing touches it any more: it can be used again, or freed. */
	while (weft_waitgroup_wait(&s.wg, WEFT_NOW) != 0)
		weft_yield();
	memset(&s.wg, 0, sizeof(s.wg));
	weft_waitgroup_add(&s.wg, 1);
	await_ended(&s, 2);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), -ETIMEDOUT);
	weft_scope_free(s.scope);
}

/*
 * Nobody is in the queue, so nobody keeps the group alive while the last done() is inside it. A
 * wait must not return before done() has unlocked: the group might be freed then. (G3.)
 */
TEST(waitgroup_wait_does_not_return_while_done_is_inside)
{
	struct stage s;

	set_stage(&s);
	weft_waitgroup_add(&s.wg, 1);
	start_in_scope(wait_wg, &s);
	await_wg_waiter(&s);
	start_and_hold("waitgroup.zero", done_wg, &s);
	end_scope(&s);
	await_ended(&s, 1);
	hold_at("waitgroup.released");
	hold_release("waitgroup.zero");
	hold_await("waitgroup.released");
	EXPECT_EQ(wg_state(&s), 0);
	s.deadline = WEFT_NOW;
	start(wait_wg, &s);
	weft_sleep(5 * MS);
	EXPECT_EQ(s.ended, 1);
	hold_release("waitgroup.released");
	await_ended(&s, 3);
	EXPECT_EQ(s.ended, 3);
	weft_scope_free(s.scope);
}

/* The last waiter to give up takes the bit along: done() is one instruction again. */
TEST(waitgroup_an_emptied_queue_leaves_no_bit)
{
	struct stage s;

	set_stage(&s);
	weft_waitgroup_add(&s.wg, 1);
	start_in_scope(wait_wg, &s);
	await_wg_waiter(&s);
	end_scope(&s);
	await_ended(&s, 1);
	EXPECT_EQ(wg_state(&s), 4);
	weft_waitgroup_done(&s.wg);
	EXPECT_EQ(wg_state(&s), 0);
	weft_scope_free(s.scope);
}

/* A waiter that gave up is still in the queue when the last done() comes. */
TEST(waitgroup_release_skips_one_that_is_giving_up)
{
	struct stage s;

	set_stage(&s);
	weft_waitgroup_add(&s.wg, 1);
	hold_at("waitgroup.gave_up");
	start_in_scope(wait_wg, &s);
	await_wg_waiter(&s);
	end_scope(&s);
	hold_await("waitgroup.gave_up");
	weft_waitgroup_done(&s.wg);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), 0);
	hold_release("waitgroup.gave_up");
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 1000 - ECANCELED);
	EXPECT_EQ(weft_waitgroup_wait(&s.wg, WEFT_NOW), 0);
	weft_scope_free(s.scope);
}

static void
add_wg(void *wg)
{
	weft_waitgroup_add(wg, 1);
}

/* Add from 0 while a wait is on its way out: the wait would miss the new work. */
TEST(waitgroup_add_during_the_release_panics)
{
	struct stage s;
	char msg[100];

	set_stage(&s);
	weft_waitgroup_add(&s.wg, 1);
	start(wait_wg, &s);
	await_wg_waiter(&s);
	start_and_hold("waitgroup.zero", done_wg, &s);
	weft_waitgroup_add(&s.wg, 0);
	EXPECT_EQ(weft_try(add_wg, &s.wg, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "sync: WaitGroup misuse: Add called concurrently with Wait");
	/* It has released nobody: that is for done() to do. */
	weft_sleep(2 * MS);
	EXPECT_EQ(s.ended, 0);
	/* The add has counted, as in Go; done() would panic of it. The process ends here. */
}

/* ---- Sem ---- */

static void
acquire_sem(void *p)
{
	struct stage *s = p;

	end(s, weft_sem_acquire(&s->sem, s->n, s->deadline));
}

static void
await_sem_waiter(struct stage *s)
{
	while (weft_sem_tryacquire(&s->sem, 0))
		weft_yield();
}

static void
release_sem(void *p)
{
	struct stage *s = p;

	weft_sem_release(&s->sem, 1);
	end(s, 0);
}

/* A release has seen a waiter (S4), which gives up before the release gets to it (S5). */
TEST(sem_release_finds_its_waiter_gone)
{
	struct stage s;

	set_stage(&s);
	weft_sem_init(&s.sem, 2);
	EXPECT(weft_sem_tryacquire(&s.sem, 1));
	s.n = 2;
	start_in_scope(acquire_sem, &s);
	await_sem_waiter(&s);
	start_and_hold("sem.has_waiters", release_sem, &s);
	end_scope(&s);
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 1000 - ECANCELED);
	EXPECT(weft_sem_tryacquire(&s.sem, 1));
	EXPECT(!weft_sem_tryacquire(&s.sem, 1));
	/* Nobody waits, so nobody keeps it alive: it must start again, not give under the lock. */
	hold_at("sem.granted");
	hold_release("sem.has_waiters");
	await_ended(&s, 2);
	EXPECT_EQ(hold_count("sem.granted"), 0);
	hold_release("sem.granted");
	EXPECT(weft_sem_tryacquire(&s.sem, 1));
	EXPECT(!weft_sem_tryacquire(&s.sem, 1));
	weft_scope_free(s.scope);
}

/* A waiter has given up and is still at the head: its permits go to the next. RELIABILITY 103. */
TEST(sem_grant_skips_one_that_is_giving_up)
{
	struct stage s;

	set_stage(&s);
	weft_sem_init(&s.sem, 2);
	EXPECT(weft_sem_tryacquire(&s.sem, 2));
	s.n = 2;
	hold_at("sem.gave_up");
	start_in_scope(acquire_sem, &s);
	await_sem_waiter(&s);
	end_scope(&s);
	hold_await("sem.gave_up");
	/* With one permit back the next one would fit, if the head were not before it. */
	EXPECT_EQ(weft_sem_acquire(&s.sem, 1, weft_in(1 * MS)), -ETIMEDOUT);
	weft_sem_release(&s.sem, 1);
	EXPECT(!weft_sem_tryacquire(&s.sem, 1));
	weft_sem_release(&s.sem, 1);
	EXPECT(weft_sem_tryacquire(&s.sem, 2));
	hold_release("sem.gave_up");
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 1000 - ECANCELED);
	weft_sem_release(&s.sem, 2);
	EXPECT(weft_sem_tryacquire(&s.sem, 2));
	weft_scope_free(s.scope);
}
