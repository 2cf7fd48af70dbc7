/*
 * The bias of a rwmutex (src/sync/README.md, "Bias"): who is counted where, with threads stopped
 * between its steps, with entries lost to others, and with locks freed while they have one. What
 * every order of every step may do is test/model/scenario/bias.c's.
 *
 * ctest: nomembarrier
 */
#include "child.h"
#include "refuse.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include "base/atomic.h"
#include "hold.h"
#include "sync/bias.h"

struct stage {
	weft_rwmutex rw;
	weft_rwmutex young;
	_Atomic int n_log;
	char log[8];			/* who was inside, in order */
	_Atomic int ended;
};

static _Atomic uint64_t *
word_in(weft_rwmutex *rw)
{
	return (_Atomic uint64_t *)(void *)rw;
}

static uint64_t
users(weft_rwmutex *rw)
{
	return wf_load_acquire(word_in(rw)) & WORD_USERS;
}

static uint32_t
entry(weft_rwmutex *rw)
{
	return word_entry(wf_load_acquire(word_in(rw)));
}

static bool
owns_entry(weft_rwmutex *rw)
{
	uint32_t at = entry(rw);

	return at != 0 && wf_load_acquire(&wf_biases.owner[at]) == (uintptr_t)(void *)rw;
}

/* As if reads had earned it: the next reader that finds nobody begins a bias. */
static void
wish(weft_rwmutex *rw)
{
	(void)wf_or_acqrel(word_in(rw), WORD_WISH);
}

/* True: rw is biased now. */
static bool
bias(weft_rwmutex *rw)
{
	wish(rw);
	weft_rwmutex_rlock(rw);
	weft_rwmutex_runlock(rw);
	return owns_entry(rw);
}

/* Whoever needs an entry takes rw's, if it can be had. All others are taken. */
static void
next_to_evict(weft_rwmutex *rw)
{
	wf_lock(&wf_biases.lock);
	wf_biases.evict_after = 0;
	wf_biases.hand = entry(rw) - 1;
	for (uint32_t at = 1; at <= BIASES; at++)
		if (wf_load_relaxed(&wf_biases.owner[at]) == 0)
			wf_store_relaxed(&wf_biases.owner[at], (uintptr_t)&wf_biases.slots[at]);
	wf_unlock(&wf_biases.lock);
}

/* Sets the stage; true: with a bias, as always where there is a membarrier, never without. */
static bool
set_stage(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	weft_gomaxprocs(4);
	EXPECT_EQ(bias(&s->rw), wf_has_membarrier());
	return owns_entry(&s->rw);
}

static void
end(struct stage *s, char who)
{
	s->log[wf_add_relaxed(&s->n_log, 1)] = who;
	(void)wf_add_release(&s->ended, 1);
}

static void
await_ended(struct stage *s, int n)
{
	while (wf_load_acquire(&s->ended) != n)
		weft_yield();
}

/* For a writer that has noted itself and is about to leave. */
static void
await_nobody(weft_rwmutex *rw)
{
	while (users(rw) != 0)
		weft_yield();
}

static void
write_once(void *p)
{
	struct stage *s = p;

	weft_rwmutex_lock(&s->rw);
	end(s, 'w');
	weft_rwmutex_unlock(&s->rw);
}

static void
enter_once(void *p)
{
	struct stage *s = p;

	weft_rwmutex_rlock(&s->rw);
	end(s, 'r');
}

static void
leave_once(void *p)
{
	struct stage *s = p;

	weft_rwmutex_runlock(&s->rw);
	end(s, 'l');
}

static void
bias_young(void *p)
{
	struct stage *s = p;

	(void)bias(&s->young);
	end(s, 'y');
}

static void
start(void (*fn)(void *), struct stage *s)
{
	EXPECT_EQ(weft_go(fn, s), 0);
}

/*
 * Many reads and no writer: readers do not share a word any more. A writer ends that, and it begins
 * again.
 */
TEST(reads_earn_a_bias)
{
	weft_rwmutex rw = {0};

	weft_gomaxprocs(4);
	for (int round = 0; round < 2; round++) {
		int64_t n = 0;

		for (; n < 2 * EARN_READS && entry(&rw) == 0; n++) {
			weft_rwmutex_rlock(&rw);
			weft_rwmutex_runlock(&rw);
		}
		EXPECT_EQ(entry(&rw) != 0, wf_has_membarrier());
		EXPECT(round != 0 || n >= EARN_READS);
		weft_rwmutex_lock(&rw);
		EXPECT_EQ(entry(&rw), 0);
		weft_rwmutex_unlock(&rw);
	}
}

TEST(a_writer_sees_readers_counted_elsewhere)
{
	struct stage s;
	bool biased = set_stage(&s);

	weft_rwmutex_rlock(&s.rw);
	EXPECT(weft_rwmutex_tryrlock(&s.rw));
	EXPECT_EQ(users(&s.rw), biased ? 0 : 2);
	weft_rwmutex_runlock(&s.rw);
	EXPECT(!weft_rwmutex_trylock(&s.rw));
	EXPECT_EQ(entry(&s.rw), 0);
	EXPECT_EQ(users(&s.rw), 1);
	weft_rwmutex_runlock(&s.rw);
	EXPECT(weft_rwmutex_trylock(&s.rw));
	weft_rwmutex_unlock(&s.rw);
}

/*
 * Those who come by one P and leave by others, two thousand million times: each count goes round by
 * itself, and their sum must stay what it is.
 */
TEST(counts_that_went_round_add_up)
{
	struct stage s;
	bool biased = set_stage(&s);
	uint32_t at = entry(&s.rw);

	if (!biased)
		return;
	for (int i = 0; i < 3; i++)
		wf_store_relaxed(&wf_biases.slots[WF_SLOTS_OF_PS + i].readers[at],
		    i == 0 ? 0x80000000u : 0xc0000000u);
	weft_rwmutex_rlock(&s.rw);
	weft_rwmutex_runlock(&s.rw);
	weft_rwmutex_lock(&s.rw);
	EXPECT_EQ((uint32_t)users(&s.rw), 0);
	weft_rwmutex_unlock(&s.rw);
	EXPECT_EQ(users(&s.rw), 0);
}

/* A program that forbids membarrier when it has a bias learns why it ends; before, it gets none. */
static void
forbid_membarrier(void *has_bias)
{
	struct stage s;

	memset(&s, 0, sizeof(s));
	weft_gomaxprocs(4);
	if (has_bias != NULL)
		EXPECT(bias(&s.rw));
	refuse(SYS_membarrier, EPERM, /* all threads */ true);
	if (has_bias == NULL)
		EXPECT(!bias(&s.rw));
	weft_rwmutex_lock(&s.rw);
	weft_rwmutex_unlock(&s.rw);
	_exit(0);
}

TEST(a_membarrier_that_is_refused_later_is_told)
{
	struct child_result r;

	need_filters();
	EXPECT_EQ(weft_goid(), 1);	/* the runtime has looked what there is */
	r = child_run(forbid_membarrier, NULL);
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
	if (!wf_has_membarrier())
		return;
	r = child_run(forbid_membarrier, (void *)1);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "membarrier worked when the program started and is refused now");
	child_result_free(&r);
}

/* With a reader inside that was counted in word no bias begins: it would leave by the entry. */
TEST(no_bias_begins_beside_a_reader)
{
	weft_rwmutex rw = {0};

	weft_gomaxprocs(4);
	weft_rwmutex_rlock(&rw);
	EXPECT(!bias(&rw));
	EXPECT(weft_rwmutex_tryrlock(&rw));
	EXPECT_EQ(entry(&rw), 0);
	EXPECT_EQ(users(&rw), 2);
	weft_rwmutex_runlock(&rw);
	weft_rwmutex_runlock(&rw);
	EXPECT_EQ(bias(&rw), wf_has_membarrier());
}

/*
 * A reader stands between its look at the entry (U2) and its count (U3): the writer waits for it
 * (U8).
 */
TEST(a_writer_waits_for_a_reader_that_is_about_to_count)
{
	struct stage s;

	if (!set_stage(&s))
		return;
	hold_at("bias.looked");
	start(enter_once, &s);
	hold_await("bias.looked");
	hold_at("bias.fenced");
	start(write_once, &s);
	hold_await("bias.fenced");
	hold_release("bias.fenced");
	for (int i = 0; i < 1000; i++)	/* for the writer to get in, if it can */
		weft_yield();
	hold_await_nap();
	EXPECT_EQ(s.n_log, 0);
	hold_release("bias.looked");
	await_ended(&s, 1);
	weft_rwmutex_runlock(&s.rw);
	await_ended(&s, 2);
	EXPECT_STR(s.log, "rw");
	await_nobody(&s.rw);
}

/* The same with one that leaves: it must not be counted as there, nor twice. */
TEST(a_writer_waits_for_a_reader_that_is_about_to_leave)
{
	struct stage s;

	if (!set_stage(&s))
		return;
	weft_rwmutex_rlock(&s.rw);
	hold_at("bias.looked");
	start(leave_once, &s);
	hold_await("bias.looked");
	start(write_once, &s);
	while (entry(&s.rw) != 0)	/* U11 */
		weft_yield();
	EXPECT_EQ(s.n_log, 0);
	hold_release("bias.looked");
	await_ended(&s, 2);
	await_nobody(&s.rw);
}

/*
 * A writer has taken the entry away, or has the sum and has not added it (U11 to U12): those that
 * are inside leave by word, and the writer, which is announced, waits for the last of them.
 */
static void
leave_while_ending(const char *point)
{
	struct stage s;

	if (!set_stage(&s))
		return;
	weft_rwmutex_rlock(&s.rw);
	weft_rwmutex_rlock(&s.rw);
	hold_at(point);
	start(write_once, &s);
	hold_await(point);
	weft_rwmutex_runlock(&s.rw);
	EXPECT(!weft_rwmutex_tryrlock(&s.rw));
	start(enter_once, &s);
	hold_release(point);
	weft_rwmutex_runlock(&s.rw);
	await_ended(&s, 2);
	EXPECT_STR(s.log, "wr");
	EXPECT_EQ(users(&s.rw), WORD_READER);
	weft_rwmutex_runlock(&s.rw);
}

TEST(readers_leave_while_a_bias_ends)
{
	leave_while_ending("bias.closed");
	leave_while_ending("bias.fenced");
	leave_while_ending("bias.summed");
}

/*
 * A reader is counted in word just as a bias begins: it moves (U13). Meanwhile it counts twice, and
 * a writer that comes then waits for both.
 */
TEST(a_reader_that_a_bias_overtook_moves)
{
	struct stage s;

	memset(&s, 0, sizeof(s));
	weft_gomaxprocs(4);
	hold_at("rwmutex.looked");
	start(enter_once, &s);
	hold_await("rwmutex.looked");
	if (!bias(&s.rw)) {
		hold_release("rwmutex.looked");
		await_ended(&s, 1);
		return;
	}
	hold_at("rwmutex.counted_twice");
	hold_release("rwmutex.looked");
	hold_await("rwmutex.counted_twice");
	EXPECT_EQ(users(&s.rw), WORD_READER);
	start(write_once, &s);
	while (users(&s.rw) != WORD_WRITER + 2 * WORD_READER)	/* U12 */
		weft_yield();
	EXPECT_EQ(s.n_log, 0);
	hold_release("rwmutex.counted_twice");
	await_ended(&s, 1);
	weft_rwmutex_runlock(&s.rw);
	await_ended(&s, 2);
	EXPECT_STR(s.log, "rw");
	await_nobody(&s.rw);
}

/*
 * A claimer has made an entry its own, and a reader comes in first (U5, U6): there is no bias then.
 */
TEST(a_reader_comes_before_the_bias)
{
	struct stage s;

	memset(&s, 0, sizeof(s));
	weft_gomaxprocs(4);
	wish(&s.young);
	if (!bias(&s.rw))
		return;
	hold_at("bias.claimed");
	start(bias_young, &s);
	hold_await("bias.claimed");
	weft_rwmutex_rlock(&s.young);
	hold_release("bias.claimed");
	await_ended(&s, 1);
	EXPECT_EQ(entry(&s.young), 0);
	EXPECT_EQ(users(&s.young), WORD_READER);
	weft_rwmutex_runlock(&s.young);
	EXPECT(bias(&s.young));
}

/* One with readers inside keeps its entry; who comes or goes while it is looked at is not lost. */
TEST(an_entry_with_readers_is_not_taken)
{
	struct stage s;

	if (!set_stage(&s))
		return;
	weft_rwmutex_rlock(&s.rw);
	weft_rwmutex_rlock(&s.rw);
	next_to_evict(&s.rw);
	hold_at("bias.evicting");
	start(bias_young, &s);
	hold_await("bias.evicting");
	EXPECT(!owns_entry(&s.rw));
	start(leave_once, &s);
	start(enter_once, &s);
	hold_release("bias.evicting");
	await_ended(&s, 3);
	EXPECT_EQ(entry(&s.young), 0);
	EXPECT(owns_entry(&s.rw));
	EXPECT_EQ(users(&s.rw), 0);
	weft_rwmutex_runlock(&s.rw);
	EXPECT(!weft_rwmutex_trylock(&s.rw));
	weft_rwmutex_runlock(&s.rw);
	EXPECT(weft_rwmutex_trylock(&s.rw));
	weft_rwmutex_unlock(&s.rw);
}

/* One without loses it, finds out at the next read, and may get another. */
TEST(an_entry_without_readers_is_taken)
{
	struct stage s;

	if (!set_stage(&s))
		return;
	next_to_evict(&s.rw);
	EXPECT(bias(&s.young));
	EXPECT_EQ(entry(&s.young), entry(&s.rw));
	EXPECT(!owns_entry(&s.rw));
	weft_rwmutex_rlock(&s.rw);
	EXPECT_EQ(entry(&s.rw), 0);
	EXPECT_EQ(users(&s.rw), WORD_READER);
	weft_rwmutex_runlock(&s.rw);
	next_to_evict(&s.young);
	EXPECT(bias(&s.rw));
	/* A writer finds out, too. */
	weft_rwmutex_lock(&s.young);
	EXPECT_EQ(entry(&s.young), 0);
	weft_rwmutex_unlock(&s.young);
	EXPECT(owns_entry(&s.rw));
}

static void *
leave_in_thread(void *rw)
{
	weft_rwmutex_runlock(rw);
	return NULL;
}

static void *
read_in_thread(void *rw)
{
	weft_rwmutex_rlock(rw);
	weft_rwmutex_runlock(rw);
	return NULL;
}

static void
in_thread(void *(*fn)(void *), weft_rwmutex *rw)
{
	pthread_t t;

	EXPECT_EQ(pthread_create(&t, NULL, fn, rw), 0);
	pthread_join(t, NULL);
}

/* Threads that have no P read under a bias, and give back what a goroutine took. */
TEST(threads_without_a_p_take_part)
{
	struct stage s;
	bool biased = set_stage(&s);

	in_thread(read_in_thread, &s.rw);
	weft_rwmutex_rlock(&s.rw);
	in_thread(leave_in_thread, &s.rw);
	EXPECT_EQ(users(&s.rw), 0);
	EXPECT_EQ(owns_entry(&s.rw), biased);
	weft_rwmutex_lock(&s.rw);
	EXPECT_EQ(users(&s.rw), WORD_WRITER);
	weft_rwmutex_unlock(&s.rw);
}

/* However its readers came and went, a lock that is freed leaves an entry that others can have. */
TEST(no_entry_is_lost_with_its_lock)
{
	weft_rwmutex alive = {0};

	weft_gomaxprocs(4);
	if (!bias(&alive))
		return;
	weft_rwmutex_rlock(&alive);
	for (unsigned i = 0; i < 3 * BIASES; i++) {
		weft_rwmutex *rw = calloc(1, sizeof(*rw));

		weft_rwmutex_rlock(rw);
		wish(rw);
		in_thread(read_in_thread, rw);
		in_thread(leave_in_thread, rw);
		wf_lock(&wf_biases.lock);
		wf_biases.evict_after = 0;
		/* Its own turn would be in vain. */
		if (wf_biases.hand % BIASES + 1 == entry(&alive))
			wf_biases.hand = entry(&alive);
		wf_unlock(&wf_biases.lock);
		EXPECT(bias(rw));
		weft_rwmutex_rlock(rw);
		in_thread(leave_in_thread, rw);
		free(rw);
	}
	EXPECT(owns_entry(&alive));
	EXPECT(!weft_rwmutex_trylock(&alive));
	weft_rwmutex_runlock(&alive);
	EXPECT(weft_rwmutex_trylock(&alive));
	weft_rwmutex_unlock(&alive);
}

/* ---- All at once ---- */

#define CROWD_LOCKS	3
#define CROWD_ROUNDS	300

struct crowd {
	weft_rwmutex rw[CROWD_LOCKS];
	long pair[CROWD_LOCKS][2];	/* equal, for whoever holds the lock */
	weft_waitgroup all;
};

static void
crowd_read(struct crowd *c, unsigned i)
{
	if (i % 7 != 0)
		weft_rwmutex_rlock(&c->rw[i % CROWD_LOCKS]);
	else if (!weft_rwmutex_tryrlock(&c->rw[i % CROWD_LOCKS]))
		return;
	if (i % 5 == 0)
		weft_yield();	/* and leave on another P, maybe */
	EXPECT_EQ(c->pair[i % CROWD_LOCKS][0], c->pair[i % CROWD_LOCKS][1]);
	weft_rwmutex_runlock(&c->rw[i % CROWD_LOCKS]);
}

static void
crowd_write(struct crowd *c, unsigned i)
{
	if (i % 3 != 0)
		weft_rwmutex_lock(&c->rw[i % CROWD_LOCKS]);
	else if (!weft_rwmutex_trylock(&c->rw[i % CROWD_LOCKS]))
		return;
	c->pair[i % CROWD_LOCKS][0]++;
	if (i % 5 == 0)
		weft_yield();
	c->pair[i % CROWD_LOCKS][1]++;
	weft_rwmutex_unlock(&c->rw[i % CROWD_LOCKS]);
}

static void
crowd_member(void *p)
{
	struct crowd *c = p;

	for (unsigned i = 0; i < CROWD_ROUNDS; i++) {
		crowd_read(c, i);
		if (i % 11 == 0)
			wish(&c->rw[i % CROWD_LOCKS]);
		if (i % 37 == 0)
			crowd_write(c, i);
	}
	weft_waitgroup_done(&c->all);
}

static void *
crowd_thread(void *p)
{
	crowd_member(p);
	return NULL;
}

/* Goroutines and threads read and write, while biases begin, end and are lost to another lock. */
TEST(whatever_happens_readers_and_writers_exclude_each_other)
{
	static struct crowd c;
	weft_rwmutex another = {0};
	pthread_t threads[2];

	weft_gomaxprocs(4);
	weft_waitgroup_add(&c.all, 6);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(weft_go(crowd_member, &c), 0);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, crowd_thread, &c), 0);
	while (weft_waitgroup_wait(&c.all, WEFT_NOW) == -ETIMEDOUT) {
		if (wf_has_membarrier() && entry(&c.rw[0]) != 0) {
			next_to_evict(&c.rw[0]);
			(void)bias(&another);
			weft_rwmutex_lock(&another);
			weft_rwmutex_unlock(&another);
		}
		weft_yield();
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < CROWD_LOCKS; i++) {
		EXPECT(weft_rwmutex_trylock(&c.rw[i]));
		EXPECT_EQ(users(&c.rw[i]), WORD_WRITER);
		weft_rwmutex_unlock(&c.rw[i]);
	}
}
