/*
 * Wait groups that a processor keeps (src/sync/README.md, G9-G12): when that begins, how others end
 * it, and threads stopped between its steps. What every order of every step may do is
 * test/model/scenario/group.c's.
 *
 * ctest: nomembarrier
 */
#include "elsewhere.h"
#include "hold.h"
#include "test.h"

#include <errno.h>
#include <weft.h>
#include "sync/waitgroup_kept.h"

struct stage {
	weft_waitgroup group;
	_Atomic int n_ended;
	_Atomic bool may_end;
	int result;
};

static bool
is_kept(struct stage *s)
{
	return waitgroup_is_kept(waitgroup_of(&s->group));
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* Until it is kept, or so often that it would be by then: a P may be lost now and then. */
static void
begin_until_kept(struct stage *s)
{
	for (int i = 0; i < 1000000 && !is_kept(s); i++) {
		weft_waitgroup_add(&s->group, 1);
		weft_waitgroup_done(&s->group);
		if (!wf_has_membarrier() && i == 10000)
			break;
	}
	EXPECT_EQ(is_kept(s), wf_has_membarrier());
	EXPECT_EQ(weft_waitgroup_wait(&s->group, WEFT_NOW), 0);
}

/* The caller's P keeps it, and n are counted. It is used by nobody else now. */
static void
keep(struct stage *s, unsigned n)
{
	struct waitgroup *wg = waitgroup_of(&s->group);

	wf_enter();
	if (wf_has_membarrier() && wf_p_number() != 0) {
		wf_store_relaxed(&wg->state, KEPT_BY);
		wf_store_relaxed(&wg->head, (uintptr_t)n * ONE + KEPT);
		wf_store_release(&wg->lock.word, WF_KEPT + wf_p_number());
	} else {
		wf_store_relaxed(&wg->state, n * ONE);
	}
	wf_leave();
}

static void *
add_and_finish(void *arg)
{
	struct stage *s = arg;

	weft_waitgroup_add(&s->group, 2);
	EXPECT(!is_kept(s));
	EXPECT_EQ(weft_waitgroup_wait(&s->group, WEFT_NOW), -ETIMEDOUT);
	weft_waitgroup_done(&s->group);
	weft_waitgroup_done(&s->group);
	EXPECT_EQ(weft_waitgroup_wait(&s->group, WEFT_FOREVER), 0);
	return NULL;
}

/* Who begins it again and again keeps it; another thread uses it all the same. Again. */
TEST(who_begins_it_alone_keeps_it)
{
	struct stage s = {0};

	EXPECT_EQ(weft_goid(), 1);
	for (int round = 0; round < 3; round++) {
		begin_until_kept(&s);
		elsewhere(add_and_finish, &s);
	}
}

static void *
begin_much(void *arg)
{
	struct stage *s = arg;

	for (int i = 0; i < 10000; i++) {
		weft_waitgroup_add(&s->group, 1);
		weft_waitgroup_done(&s->group);
	}
	return NULL;
}

TEST(a_plain_thread_keeps_nothing)
{
	struct stage s = {0};

	EXPECT_EQ(weft_goid(), 1);
	elsewhere(begin_much, &s);
	EXPECT(!is_kept(&s));
}

static void
finish_when_told(void *arg)
{
	struct stage *s = arg;

	while (!wf_load_acquire(&s->may_end))
		weft_yield();
	weft_waitgroup_done(&s->group);
	(void)wf_add_release(&s->n_ended, 1);
}

static void
await_ended(struct stage *s, int n)
{
	while (wf_load_acquire(&s->n_ended) != n)
		weft_yield();
}

/* On one P and on several: each wait ends after all that it waits for, kept or not. */
TEST(all_are_waited_for)
{
	struct stage s = {0};

	for (int procs = 1; procs <= 4; procs *= 2) {
		weft_gomaxprocs(procs);
		for (int round = 0; round < 500; round++) {
			wf_store_relaxed(&s.n_ended, 0);
			wf_store_relaxed(&s.may_end, round % 2 == 0);
			weft_waitgroup_add(&s.group, 3);
			for (int i = 0; i < 3; i++)
				EXPECT_EQ(weft_go(finish_when_told, &s), 0);
			EXPECT_EQ(weft_waitgroup_go(&s.group, nothing, NULL), 0);
			wf_store_release(&s.may_end, true);
			EXPECT_EQ(weft_waitgroup_wait(&s.group, WEFT_FOREVER), 0);
			await_ended(&s, 3);
		}
	}
}

static void
wait_in_goroutine(void *arg)
{
	struct stage *s = arg;

	s->result = weft_waitgroup_wait(&s->group, WEFT_FOREVER);
	(void)wf_add_release(&s->n_ended, 1);
}

static void *
finish(void *arg)
{
	struct stage *s = arg;

	weft_waitgroup_done(&s->group);
	return NULL;
}

/* One waits in it, where it is kept, and what it waits for ends elsewhere. */
TEST(who_waits_is_woken_from_elsewhere)
{
	struct stage s = {0};

	weft_gomaxprocs(1);
	keep(&s, 1);
	EXPECT_EQ(weft_go(wait_in_goroutine, &s), 0);
	weft_yield();
	elsewhere(finish, &s);
	await_ended(&s, 1);
	EXPECT_EQ(s.result, 0);
	EXPECT(!is_kept(&s));
}

/* A second one, and one that can't wait for long, while it is kept for one. */
TEST(a_second_wait_ends_the_keeping)
{
	struct stage s = {0};

	weft_gomaxprocs(1);
	keep(&s, 2);
	EXPECT_EQ(weft_waitgroup_wait(&s.group, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_go(wait_in_goroutine, &s), 0);
	weft_yield();
	EXPECT_EQ(weft_waitgroup_wait(&s.group, weft_in(1000000)), -ETIMEDOUT);
	EXPECT(!is_kept(&s));
	EXPECT_EQ(weft_go(wait_in_goroutine, &s), 0);
	weft_yield();
	weft_waitgroup_done(&s.group);
	EXPECT_EQ(wf_load_relaxed(&s.n_ended), 0);
	weft_waitgroup_done(&s.group);
	await_ended(&s, 2);
	EXPECT_EQ(weft_waitgroup_wait(&s.group, WEFT_NOW), 0);
}

static void
add_much(void *arg)
{
	weft_waitgroup_add(arg, -3);
}

/* One done too many is told of as in any group. */
TEST(a_negative_counter_panics)
{
	struct stage s = {0};
	char message[128];

	keep(&s, 2);
	EXPECT_EQ(weft_try(add_much, &s.group, message, sizeof(message)), 1);
	EXPECT_CONTAINS(message, "negative WaitGroup counter");
	EXPECT(!is_kept(&s));
}

/* ---- Windows ---- */

/* Again until it stood there: its P may be taken away between the two calls. */
static void
count_kept(void *arg)
{
	struct stage *s = arg;

	do {
		keep(s, 2);
		weft_waitgroup_done(&s->group);
	} while (hold_count("waitgroup.counting") == 0);
	(void)wf_add_release(&s->n_ended, 1);
}

/* Who counts where it is kept stands between two steps: who ends the keeping waits for it. */
TEST(who_ends_it_awaits_who_counts)
{
	struct stage s = {0};
	pthread_t other;

	hold_needed();
	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	weft_gomaxprocs(4);
	hold_at("waitgroup.counting");
	EXPECT_EQ(weft_go(count_kept, &s), 0);
	hold_await("waitgroup.counting");
	EXPECT_EQ(pthread_create(&other, NULL, finish, &s), 0);
	hold_await_nap();
	EXPECT(is_kept(&s));
	hold_release("waitgroup.counting");
	EXPECT_EQ(pthread_join(other, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&s.group, WEFT_FOREVER), 0);
	await_ended(&s, 1);
	EXPECT(!is_kept(&s));
}

static void
finish_in_goroutine(void *arg)
{
	struct stage *s = arg;

	weft_waitgroup_done(&s->group);
	(void)wf_add_release(&s->n_ended, 1);
}

/* Who ends the keeping stands between its two stores: who is counted can't be lost meanwhile. */
TEST(who_counts_awaits_who_ends_it)
{
	struct stage s = {0};
	pthread_t other;

	hold_needed();
	EXPECT_EQ(weft_goid(), 1);
	if (!wf_has_membarrier())
		return;
	weft_gomaxprocs(4);
	keep(&s, 2);
	hold_at("waitgroup.folding");
	EXPECT_EQ(pthread_create(&other, NULL, finish, &s), 0);
	hold_await("waitgroup.folding");
	EXPECT_EQ(weft_go(finish_in_goroutine, &s), 0);
	weft_sleep(1000000);
	EXPECT_EQ(wf_load_acquire(&s.n_ended), 0);
	hold_release("waitgroup.folding");
	EXPECT_EQ(pthread_join(other, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&s.group, WEFT_FOREVER), 0);
	await_ended(&s, 1);
}
