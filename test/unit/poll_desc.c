/*
 * The record of a descriptor by itself: its table, its counts, its limits.
 */
#include "poll/backend.h"

#include <weft.h>

#include "child.h"
#include "os/os.h"
#include "sched/poll.h"
#include "sched/self.h"
#include "test.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Each number has one record for ever, on lines of its own. */
TEST(each_number_has_its_own_record)
{
	static const int numbers[] = {0, 1, 4095, 4096, 1000000, 67108863};
	struct pd *pd, *again;

	EXPECT(wf_pd_find(4096) == NULL);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		EXPECT_EQ(wf_pd_get(numbers[i], &pd), 0);
		EXPECT_EQ(wf_pd_get(numbers[i], &again), 0);
		EXPECT(pd == again && pd == wf_pd_find(numbers[i]));
		EXPECT_EQ(pd_number(pd), numbers[i]);
		EXPECT_EQ((uintptr_t)pd % WF_CACHELINE, 0);
	}
	EXPECT_EQ(wf_pd_get(-1, &pd), -EBADF);
	EXPECT_EQ(wf_pd_get(67108864, &pd), -EMFILE);
}

static struct pd *
record(int fd)
{
	struct pd *pd;

	EXPECT_EQ(wf_pd_get(fd, &pd), 0);
	return pd;
}

/* Readers, writers and others are counted apart, and only the first two go one at a time. */
TEST(uses_are_counted_apart)
{
	struct pd *pd = record(500);

	(void)wf_enter();
	EXPECT_EQ(wf_pd_enter(pd, PD_READ, WEFT_NOW), 0);
	EXPECT_EQ(wf_pd_enter(pd, PD_READ, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(wf_pd_enter(pd, PD_WRITE, WEFT_NOW), 0);
	EXPECT_EQ(wf_pd_enter(pd, PD_WRITE, WEFT_NOW), -ETIMEDOUT);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(wf_pd_enter(pd, PD_OTHER, WEFT_NOW), 0);
	EXPECT_EQ(PD_COUNT(wf_load_relaxed(&pd->refs), PD_READ), 1);
	EXPECT_EQ(PD_COUNT(wf_load_relaxed(&pd->refs), PD_WRITE), 1);
	EXPECT_EQ(PD_COUNT(wf_load_relaxed(&pd->refs), PD_OTHER), 100);
	wf_pd_leave(pd, PD_READ);
	EXPECT_EQ(wf_pd_enter(pd, PD_READ, WEFT_NOW), 0);
	wf_pd_leave(pd, PD_READ);
	wf_pd_leave(pd, PD_WRITE);
	for (int i = 0; i < 100; i++)
		wf_pd_leave(pd, PD_OTHER);
	EXPECT_EQ(wf_load_relaxed(&pd->refs), 0);
	EXPECT(!pd->turn_is_free[PD_READ] && !pd->turn_is_free[PD_WRITE]);
	wf_leave();
}

/* Go's words. Beyond the limit the counts would run into each other. */
static void
too_many(void *unused)
{
	struct pd *pd = record(500);

	(void)unused;
	(void)wf_enter();
	for (uint64_t i = 0; i <= PD_OPS_MAX; i++)
		EXPECT_EQ(wf_pd_enter(pd, PD_OTHER, WEFT_NOW), 0);
	FAIL("no limit");
}

TEST(too_many_operations_panic)
{
	struct child_result r = child_run(too_many, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "panic: too many concurrent operations on a single file or socket");
	child_result_free(&r);
}

/* SCENARIOS 305. A stale event, of the descriptor that had the number before, changes nothing. */
TEST(events_of_another_generation_are_dropped)
{
	struct gqueue ready = {0};
	int fd[2];
	struct pd *pd;
	char c;

	EXPECT_EQ(pipe(fd), 0);
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(200000000)), -ETIMEDOUT);
	pd = record(fd[0]);
	(void)wf_enter();
	pd->is_registered = true;	/* whatever the backend: as after an ADD */
	wf_store_relaxed(&pd->ready[PD_READ], 0);
	wf_pd_event(pd, pd->gen + 1, EPOLLIN, &ready);
	EXPECT_EQ(wf_load_relaxed(&pd->ready[PD_READ]), 0);
	wf_pd_event(pd, pd->gen, EPOLLIN, &ready);
	EXPECT_EQ(wf_load_relaxed(&pd->ready[PD_READ]), 1);
	EXPECT_EQ(wf_load_relaxed(&pd->ready[PD_WRITE]), 0);
	wf_pd_event(pd, pd->gen, EPOLLHUP, &ready);
	EXPECT_EQ(wf_load_relaxed(&pd->ready[PD_WRITE]), 1);
	EXPECT_EQ(ready.n, 0);
	pd->is_registered = wf_poll_backend() == &wf_poll_epoll;
	wf_leave();
	/* Who was woken is counted down a little after that. */
	while (wf_poll_nwaiters() != 0)
		EXPECT_EQ(weft_sleep(1000000), 0);
	/* What was ready and is not any more costs one look, not a wrong result. */
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(200000000)), -ETIMEDOUT);
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/* A closed record is as good as new, but for its generation. */
TEST(close_forgets_everything)
{
	int fd[2];
	struct pd *pd;
	uint32_t gen;
	char c;

	EXPECT_EQ(pipe(fd), 0);
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(200000000)), -ETIMEDOUT);
	pd = record(fd[0]);
	gen = pd->gen;
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT(pd->gen != gen);
	EXPECT(!pd->is_registered);
	EXPECT_EQ(wf_load_relaxed(&pd->refs), 0);
	EXPECT_EQ(wf_load_relaxed(&pd->how[PD_READ]), PD_HOW_UNKNOWN);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/* Nor is a turn left for somebody when the last to leave was its owner (O7): two would take it. */
static void
read_until_closed(void *arg)
{
	char c;

	EXPECT_EQ(weft_read(*(int *)arg, &c, 1, weft_in(INT64_C(5000000000))), -EBADF);
}

TEST(an_owner_that_leaves_alone_leaves_no_free_turn)
{
	for (int i = 0; i < 20; i++) {
		weft_waitgroup wg = {0};
		int fd[2];

		EXPECT_EQ(pipe(fd), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, read_until_closed, &fd[0]), 0);
		EXPECT_EQ(weft_sleep(2000000), 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
		EXPECT(!record(fd[0])->turn_is_free[PD_READ]);
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
}

/* The wake of the poller: before the wait and during it, once for many, and it is over then. */
TEST(a_wake_ends_this_wait_or_the_next)
{
	struct gqueue q = {0};
	int64_t start, waited = 0;

	(void)weft_numgoroutine();
	(void)wf_enter();
	wf_poll_wait(0, &q); /* turns it on */
	EXPECT(wf_poll_is_on());
	for (int i = 0; i < 3; i++)
		wf_poll_wake();
	wf_poll_wait(0, &q); /* who only looks does not take it away */
	start = wf_os_now();
	wf_poll_wait(INT64_C(10000000000), &q);
	EXPECT(wf_os_now() - start < INT64_C(5000000000));
	/* A process that was stopped and continued comes out early, but not each time. */
	for (int i = 0; waited < INT64_C(20000000); i++) {
		EXPECT(i < 100);
		start = wf_os_now();
		wf_poll_wait(INT64_C(20000000), &q);
		waited = wf_os_now() - start;
	}
	EXPECT_EQ(q.n, 0);
	wf_leave();
}
