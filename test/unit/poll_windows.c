/*
 * The windows of the protocols in src/poll/README.md, held open one by one: what may come
 * between two steps does come, and must do no harm.
 */
#include "poll/desc.h"

#include <weft.h>

#include "hold.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

struct call {
	pthread_t thread;
	int fd;
	char c;
	_Atomic ssize_t r;
};

#define UNDER_WAY (-10000)

static void *
read_thread(void *arg)
{
	struct call *c = arg;

	c->r = weft_read(c->fd, &c->c, 1, weft_in(60 * SEC * test_scale()));
	return NULL;
}

static void *
close_thread(void *arg)
{
	struct call *c = arg;

	c->r = weft_close(c->fd);
	return NULL;
}

/* On a thread of its own: it will be stopped, and we must not be. */
static void
start(struct call *c, void *(*fn)(void *), int fd)
{
	c->fd = fd;
	c->r = UNDER_WAY;
	EXPECT_EQ(pthread_create(&c->thread, NULL, fn, c), 0);
}

static void
finish(struct call *c, ssize_t expected)
{
	EXPECT_EQ(pthread_join(c->thread, NULL), 0);
	EXPECT_EQ(c->r, expected);
}

static void
pair(int fd[2])
{
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
}

/* The first end gets the number that was given back, when the runtime's monitor, which opens a file
 * now and then, does not have it just now. */
static void
pair_at(int number, int fd[2])
{
	int made[2], d;

	pair(made);
	fd[1] = fcntl(made[1], F_DUPFD_CLOEXEC, number + 1);
	EXPECT(fd[1] > number);
	EXPECT_EQ(close(made[1]), 0);
	fd[0] = made[0];
	while (fd[0] != number) {
		d = fcntl(made[0], F_DUPFD_CLOEXEC, number);
		EXPECT(d >= number);
		if (d == number)
			fd[0] = d;
		EXPECT_EQ(close(d == number ? made[0] : d), 0);
	}
}

/* Until a reader waits for data of fd. */
static void
await_reader(int fd)
{
	bool waits;

	do {
		struct pd *pd = wf_pd_find(fd);

		EXPECT_EQ(weft_sleep(MS), 0);
		wf_lock(&pd->lock);
		waits = pd->wait[PD_READ].head != NULL;
		wf_unlock(&pd->lock);
	} while (!waits);
}

/* Registered already, so that edges come. */
static void
registered_pair(int fd[2])
{
	char c;

	pair(fd);
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(20 * MS)), -ETIMEDOUT);
}

/* Long enough for an event to be seen by whoever asks the poller; a second waiter makes it ask. */
static void
let_the_poller_run(void)
{
	char c;
	int fd[2];

	pair(fd);
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(50 * MS)), -ETIMEDOUT);
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/*
 * R3 and R6. A reader has found nothing and is about to wait. The data comes, and its event is
 * handled, before it has got on the queue. No other event will come: it must look once more.
 */
TEST(data_between_eagain_and_the_wait_is_not_missed)
{
	struct call rd;
	int fd[2];

	registered_pair(fd);
	hold_at("pd.eagain");
	start(&rd, read_thread, fd[0]);
	hold_await("pd.eagain");
	EXPECT_EQ(write(fd[1], "x", 1), 1);
	let_the_poller_run();
	hold_release("pd.eagain");
	finish(&rd, 1);
	EXPECT_EQ(rd.c, 'x');
}

/* K2. The same window, and the descriptor is closed in it. The closer must wait, the reader must
 * leave. */
TEST(a_close_between_eagain_and_the_wait_is_not_missed)
{
	struct call rd, cl;
	int fd[2];

	registered_pair(fd);
	hold_at("pd.eagain");
	start(&rd, read_thread, fd[0]);
	hold_await("pd.eagain");
	start(&cl, close_thread, fd[0]);
	weft_sleep(20 * MS);
	EXPECT_EQ(
	    cl.r, UNDER_WAY); /* K3: the number is not given back while the reader is inside */
	EXPECT(write(fd[1], "x", 1) == 1);
	hold_release("pd.eagain");
	finish(&rd, -EBADF);
	finish(&cl, 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/*
 * K5 to K6. close(2) has given the number back, and the closer has not said so yet. Whoever has
 * the number now has a right to it: no error of the old one.
 */
TEST(the_next_owner_of_a_number_never_gets_the_error_of_the_last)
{
	struct call cl, rd;
	int fd[2], next[2];

	registered_pair(fd);
	hold_at("pd.closed");
	start(&cl, close_thread, fd[0]);
	hold_await("pd.closed");
	pair_at(fd[0], next);
	EXPECT_EQ(write(next[1], "x", 1), 1);
	start(&rd, read_thread, next[0]);
	weft_sleep(20 * MS);
	EXPECT_EQ(rd.r, UNDER_WAY);
	hold_release("pd.closed");
	finish(&cl, 0);
	finish(&rd, 1);
	EXPECT_EQ(rd.c, 'x');
	/* And it can be waited for and closed like any. */
	start(&rd, read_thread, next[0]);
	await_reader(next[0]);
	EXPECT_EQ(weft_close(next[0]), 0);
	finish(&rd, -EBADF);
}

/* The same for a second close: it is of the next descriptor. */
TEST(a_close_during_a_close_is_of_the_next_owner)
{
	struct call cl, again;
	int fd[2], next[2];

	registered_pair(fd);
	hold_at("pd.closed");
	start(&cl, close_thread, fd[0]);
	hold_await("pd.closed");
	pair_at(fd[0], next);
	start(&again, close_thread, next[0]);
	weft_sleep(10 * MS);
	EXPECT_EQ(again.r, UNDER_WAY);
	hold_release("pd.closed");
	finish(&cl, 0);
	finish(&again, 0);
	EXPECT_EQ(send(next[1], "x", 1, MSG_NOSIGNAL), -1); /* its peer is gone */
}

/*
 * O7. A reader has seen that another owns the direction. That one leaves before it has got in
 * line: the turn is free, and it or whoever comes first must take it, and only one.
 */
TEST(a_turn_given_up_while_the_next_is_on_its_way_is_not_lost)
{
	struct call first, second, third;
	int fd[2];

	registered_pair(fd);
	start(&first, read_thread, fd[0]);
	await_reader(fd[0]);
	hold_at("pd.behind");
	start(&second, read_thread, fd[0]);
	hold_await("pd.behind");
	EXPECT_EQ(write(fd[1], "1", 1), 1);
	finish(&first, 1); /* its O7 finds nobody in line, and one counted */
	start(&third, read_thread, fd[0]);
	await_reader(fd[0]);
	EXPECT_EQ(write(fd[1], "3", 1), 1);
	finish(&third, 1); /* it took the free turn, and left it again */
	hold_release("pd.behind");
	EXPECT_EQ(write(fd[1], "2", 1), 1);
	finish(&second, 1);
	EXPECT_EQ(weft_close(fd[0]), 0);
}

/* The same, closed meanwhile. */
TEST(who_is_on_its_way_to_the_line_leaves_when_it_is_closed)
{
	struct call first, second, cl;
	int fd[2];

	registered_pair(fd);
	start(&first, read_thread, fd[0]);
	await_reader(fd[0]);
	hold_at("pd.behind");
	start(&second, read_thread, fd[0]);
	hold_await("pd.behind");
	start(&cl, close_thread, fd[0]);
	finish(&first, -EBADF);
	EXPECT_EQ(cl.r, UNDER_WAY);
	hold_release("pd.behind");
	finish(&second, -EBADF);
	finish(&cl, 0);
	/* Nobody is counted, so no turn may be left lying about: two could take it (O7). */
	EXPECT(!wf_pd_find(fd[0])->turn_is_free[PD_READ]);
}

/*
 * O2. An operation that meets a close may be the first that is counted, and so owns the direction
 * for a moment. Whoever queues up behind it must not wait for it for ever.
 */
TEST(who_queues_behind_one_that_met_the_close_gets_the_turn)
{
	struct call cl, first, second;
	int fd[2], next[2];

	registered_pair(fd);
	hold_at("pd.closed");
	start(&cl, close_thread, fd[0]);
	hold_await("pd.closed");
	pair_at(fd[0], next);
	hold_at("pd.behind");
	start(&first, read_thread, next[0]);
	hold_await("pd.behind");
	hold_release("pd.closed");
	finish(&cl, 0);
	start(&second, read_thread, next[0]);
	weft_sleep(20 * MS);
	EXPECT_EQ(write(next[1], "x", 1), 1);
	hold_release("pd.behind");
	EXPECT_EQ(write(next[1], "y", 1), 1);
	finish(&first, 1);
	finish(&second, 1);
}

static weft_process *_Atomic spawned;

static void *
spawn_thread(void *arg)
{
	struct call *c = arg;
	weft_process *p;
	int r = weft_spawn((const char *const[]){"true", NULL}, NULL, &p);

	spawned = p;
	c->r = r == 0 ? weft_wait(p, NULL, weft_in(60 * SEC * test_scale())) : r;
	return NULL;
}

static bool
somebody_waits_in_closing(int fd)
{
	struct pd *pd = wf_pd_find(fd);
	bool waits;

	wf_lock(&pd->lock);
	waits = pd->closing.head != NULL;
	wf_unlock(&pd->lock);
	return waits;
}

/* Until the closer waits for those inside (K3), or an heir of the number for the close(2). */
static void
await_closing(int fd)
{
	do
		EXPECT_EQ(weft_sleep(MS), 0);
	while (!somebody_waits_in_closing(fd));
}

/*
 * K3. A reader is inside, the closer waits for it, and somebody polls, which is told to go: its
 * leaving is not the reader's. (It took the closer off its list, for a turn that polls do not have;
 * the number was given back with the reader inside.)
 */
TEST(a_poll_that_meets_the_close_does_not_wake_the_closer)
{
	struct call rd, cl;
	int fd[2];

	registered_pair(fd);
	hold_at("pd.eagain");
	start(&rd, read_thread, fd[0]);
	hold_await("pd.eagain");
	start(&cl, close_thread, fd[0]);
	await_closing(fd[0]);
	EXPECT_EQ(weft_poll(fd[0], POLLIN, WEFT_NOW), -EBADF);
	EXPECT(somebody_waits_in_closing(fd[0]));
	EXPECT_EQ(cl.r, UNDER_WAY);
	hold_release("pd.eagain");
	finish(&rd, -EBADF);
	finish(&cl, 0);
}

/*
 * K5 to K6, and the number is a pidfd now. Whoever waits for the child enters its record under the
 * lock of the child, under which nobody may park: so that must be over before anybody has it.
 */
TEST(a_child_is_nobodys_before_its_number_is_its_own)
{
	struct call cl, sp;
	bool met = false;
	int fd[2];

	start(&sp, spawn_thread, -1);
	EXPECT_EQ(pthread_join(sp.thread, NULL), 0);
	if (sp.r == -ENOSYS)
		SKIP("no pidfds here");
	weft_process_free(spawned);
	/* The number may be lower, or the monitor may have this one: once more, then. */
	for (int i = 0; i < 50 && !met; i++) {
		spawned = NULL;
		registered_pair(fd);
		hold_at("pd.closed");
		start(&cl, close_thread, fd[0]);
		hold_await("pd.closed");
		start(&sp, spawn_thread, -1);
		while (!(met = somebody_waits_in_closing(fd[0])) && spawned == NULL)
			EXPECT_EQ(weft_sleep(MS), 0);
		EXPECT(!met || spawned == NULL);
		hold_release("pd.closed");
		finish(&cl, 0);
		finish(&sp, 0);
		weft_process_free(spawned);
	}
	EXPECT(met);
}

static void *
deadline_thread(void *arg)
{
	struct call *c = arg;

	c->r = weft_set_deadline(c->fd, WEFT_READS | WEFT_WRITES, WEFT_NOW);
	return NULL;
}

/* O1, K3. A deadline is set by an operation as any: the next owner of the number gets none. */
TEST(a_deadline_is_never_set_for_the_next_owner)
{
	struct call cl, set;
	int fd[2];

	registered_pair(fd);
	hold_at("io.deadline");
	start(&set, deadline_thread, fd[0]);
	hold_await("io.deadline");
	start(&cl, close_thread, fd[0]);
	weft_sleep(20 * MS);
	EXPECT_EQ(cl.r, UNDER_WAY);
	hold_release("io.deadline");
	finish(&set, 0);
	finish(&cl, 0);
}
