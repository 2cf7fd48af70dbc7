/*
 * Mutexes that a processor keeps (src/sync/README.md, "Kept by a processor"): when that begins, how
 * each way to use the mutex ends it, and threads stopped between its steps. What every order of
 * every step may do is test/model/scenario/keep.c's.
 *
 * ctest: nomembarrier
 */
#include "child.h"
#include "refuse.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>
#include "elsewhere.h"
#include "hold.h"
#include "sync/keep.h"

struct stage {
	weft_mutex m;
	weft_waitgroup all;
	_Atomic int n_log;
	char log[8];			/* who owned it, in order */
	long count;			/* under m */
};

static _Atomic uint32_t *
state_of(weft_mutex *m)
{
	return &((struct mutex *)(void *)m)->state;
}

static bool
is_kept(weft_mutex *m)
{
	return mutex_keeper(wf_load_acquire(state_of(m))) != 0;
}

/* m, which nobody else uses now, is kept by the caller's P, with LOCKED or 0. */
static void
keep(weft_mutex *m, uint32_t locked)
{
	wf_enter();
	wf_store_release(state_of(m), keeper_number() * MUTEX_KEEPER | locked);
	wf_leave();
}

static void
note(struct stage *s, char who)
{
	s->log[wf_add_relaxed(&s->n_log, 1)] = who;
}

static void
start(void (*fn)(void *), struct stage *s)
{
	weft_waitgroup_add(&s->all, 1);
	EXPECT_EQ(weft_go(fn, s), 0);
}

static void
await_all(struct stage *s)
{
	EXPECT_EQ(weft_waitgroup_wait(&s->all, WEFT_FOREVER), 0);
}

/* Until it is kept, or so often that it would be by then: a P may be lost now and then. */
static void
use_until_kept(void *p)
{
	struct stage *s = p;

	for (int i = 0; i < 1000000 && !is_kept(&s->m); i++) {
		weft_mutex_lock(&s->m);
		weft_mutex_unlock(&s->m);
		if (!wf_has_membarrier() && i == 10000)
			break;
	}
	weft_waitgroup_done(&s->all);
}

static void *
take_it(void *arg)
{
	weft_mutex *m = arg;

	weft_mutex_lock(m);
	EXPECT_EQ(wf_load_acquire(state_of(m)), MUTEX_LOCKED);
	EXPECT(!weft_mutex_trylock(m));
	weft_mutex_unlock(m);
	EXPECT_EQ(wf_load_acquire(state_of(m)), 0);
	return NULL;
}

/* A goroutine that has a mutex to itself keeps it; somebody else takes it all the same. Again. */
TEST(who_uses_it_alone_keeps_it)
{
	struct stage s = {0};

	weft_gomaxprocs(4);
	for (int round = 0; round < 3; round++) {
		start(use_until_kept, &s);
		await_all(&s);
		EXPECT_EQ(is_kept(&s.m), wf_has_membarrier());
		elsewhere(take_it, &s.m);
	}
}

static void *
use_much(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		weft_mutex_lock(arg);
		weft_mutex_unlock(arg);
	}
	return NULL;
}

TEST(a_plain_thread_keeps_nothing)
{
	weft_mutex m = {0};

	EXPECT_EQ(weft_goid(), 1);
	elsewhere(use_much, &m);
	EXPECT(!is_kept(&m));
}

static void *
lock_in_each_way(void *arg)
{
	weft_mutex *m = arg;

	wf_store_release(state_of(m), MUTEX_KEEPER);
	weft_mutex_lock(m);
	EXPECT_EQ(wf_load_acquire(state_of(m)), MUTEX_LOCKED);
	wf_store_release(state_of(m), MUTEX_KEEPER);
	EXPECT(weft_mutex_trylock(m));
	EXPECT_EQ(wf_load_acquire(state_of(m)), MUTEX_LOCKED);
	wf_store_release(state_of(m), MUTEX_KEEPER);
	EXPECT_EQ(weft_mutex_lock_until(m, WEFT_NOW), 0);
	EXPECT_EQ(wf_load_acquire(state_of(m)), MUTEX_LOCKED);
	wf_store_release(state_of(m), MUTEX_KEEPER | MUTEX_LOCKED);
	EXPECT(!weft_mutex_trylock(m));
	EXPECT_EQ(weft_mutex_lock_until(m, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(wf_load_acquire(state_of(m)), MUTEX_LOCKED);
	return NULL;
}

TEST(each_way_to_lock_ends_it)
{
	weft_mutex m = {0};

	EXPECT_EQ(weft_goid(), 1);	/* the runtime has looked what there is */
	if (wf_has_membarrier())
		elsewhere(lock_in_each_way, &m);
}

static void *
unlock_it(void *arg)
{
	weft_mutex_unlock(arg);
	return NULL;
}

/* It was locked on a P that keeps it, and the owner is elsewhere when it unlocks. */
TEST(an_unlock_elsewhere_ends_it)
{
	weft_mutex m = {0};

	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	wf_store_release(state_of(&m), MUTEX_KEEPER | MUTEX_LOCKED);
	elsewhere(unlock_it, &m);
	EXPECT_EQ(wf_load_acquire(state_of(&m)), 0);
}

static void
unlock_kept(void *unused)
{
	weft_mutex m = {0};

	(void)unused;
	keep(&m, 0);
	weft_mutex_unlock(&m);
}

static void
unlock_kept_in_goroutine(void *unused)
{
	weft_waitgroup w = {0};

	(void)unused;
	EXPECT_EQ(weft_waitgroup_go(&w, unlock_kept, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&w, WEFT_FOREVER), 0);
}

TEST(unlock_of_one_that_is_kept_and_not_locked_is_fatal)
{
	struct child_result r;

	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	r = child_run(unlock_kept_in_goroutine, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "sync: unlock of unlocked mutex");
	child_result_free(&r);
}

/* ---- Windows ---- */

/* Again until it stood at K3: its P may be taken away between the two calls. */
static void
lock_kept(void *p)
{
	struct stage *s = p;

	for (;;) {
		keep(&s->m, 0);
		weft_mutex_lock(&s->m);
		if (hold_count("mutex.keeper_looked") != 0)
			break;
		weft_mutex_unlock(&s->m);
	}
	note(s, 'k');
	weft_mutex_unlock(&s->m);
	weft_waitgroup_done(&s->all);
}

static void
unlock_kept_one(void *p)
{
	struct stage *s = p;

	do {
		keep(&s->m, MUTEX_LOCKED);
		weft_mutex_unlock(&s->m);
	} while (hold_count("mutex.keeper_looked") == 0);
	weft_waitgroup_done(&s->all);
}

static void
lock_once(void *p)
{
	struct stage *s = p;

	weft_mutex_lock(&s->m);
	note(s, 'o');
	weft_mutex_unlock(&s->m);
	weft_waitgroup_done(&s->all);
}

/* One stands between its look (K2) and its store (K3); another wants the mutex, and waits (K6). */
static void
hold_keeper(struct stage *s, void (*keeper)(void *))
{
	weft_gomaxprocs(4);
	hold_at("mutex.keeper_looked");
	start(keeper, s);
	hold_await("mutex.keeper_looked");
	hold_at("bias.fenced_one");
	start(lock_once, s);
	hold_await("bias.fenced_one");
	hold_release("bias.fenced_one");
	for (int i = 0; i < 1000; i++)	/* for it to get in, if it can */
		weft_yield();
	EXPECT_EQ(s->n_log, 0);
	hold_release("mutex.keeper_looked");
	await_all(s);
	EXPECT(!is_kept(&s->m));
	EXPECT(weft_mutex_trylock(&s->m));
}

TEST(others_wait_for_a_keeper_that_is_about_to_lock)
{
	struct stage s = {0};

	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	hold_keeper(&s, lock_kept);
	EXPECT_STR(s.log, "ko");
}

TEST(others_wait_for_a_keeper_that_is_about_to_unlock)
{
	struct stage s = {0};

	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	hold_keeper(&s, unlock_kept_one);
	EXPECT_STR(s.log, "o");
}

static void *
lock_once_elsewhere(void *arg)
{
	lock_once(arg);
	return NULL;
}

/* The keeper comes while its keeping is being ended, with the membarrier over: it sees the lock. */
TEST(a_keeper_sees_that_it_ends)
{
	struct stage s = {0};
	pthread_t t;

	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	keep(&s.m, 0);
	weft_waitgroup_add(&s.all, 1);
	hold_at("bias.fenced_one");
	EXPECT_EQ(pthread_create(&t, NULL, lock_once_elsewhere, &s), 0);
	hold_await("bias.fenced_one");
	/* On this P, unless it was taken away since; then it says the same for another reason. */
	wf_enter();
	EXPECT(!mutex_change_kept((struct mutex *)(void *)&s.m, 0, MUTEX_LOCKED));
	wf_leave();
	EXPECT_EQ(s.n_log, 0);
	hold_release("bias.fenced_one");
	await_all(&s);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	EXPECT_STR(s.log, "o");
}

/* ---- Many ---- */

#define USERS 6
#define BURSTS 20
#define BURST 2000

static void
use_in_bursts(void *p)
{
	struct stage *s = p;

	for (int i = 0; i < BURSTS; i++) {
		for (int j = 0; j < BURST; j++) {
			weft_mutex_lock(&s->m);
			s->count++;
			if (j % 500 == 0)
				weft_yield();	/* it may wake up on another P */
			weft_mutex_unlock(&s->m);
		}
		weft_yield();
	}
	weft_waitgroup_done(&s->all);
}

TEST(bursts_on_all_processors)
{
	struct stage s = {0};

	weft_gomaxprocs(3);
	for (int i = 0; i < USERS; i++)
		start(use_in_bursts, &s);
	for (int i = 0; i < BURSTS; i++) {
		weft_mutex_lock(&s.m);
		s.count++;
		weft_mutex_unlock(&s.m);
		weft_yield();
	}
	await_all(&s);
	weft_mutex_lock(&s.m);
	EXPECT_EQ(s.count, (long)USERS * BURSTS * BURST + BURSTS);
	weft_mutex_unlock(&s.m);
}

/* ---- Without membarrier ---- */

static void
forbid_membarrier(void *unused)
{
	struct stage s = {0};

	(void)unused;
	weft_gomaxprocs(4);
	start(use_until_kept, &s);
	await_all(&s);
	EXPECT(is_kept(&s.m));
	refuse(SYS_membarrier, EPERM, /* all threads */ true);
	elsewhere(take_it, &s.m);
	_exit(0);
}

TEST(a_membarrier_that_is_refused_later_is_told)
{
	struct child_result r;

	need_filters();
	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	r = child_run(forbid_membarrier, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "membarrier worked when the program started and is refused now");
	child_result_free(&r);
}
