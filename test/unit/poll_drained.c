/*
 * A short receive from a TCP socket spares the next one that would find nothing
 * (src/poll/README.md, R7-R9); and never makes a reader miss what is there.
 */
#include "poll/backend.h"

#include <weft.h>

#include "hold.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)

/* Over io_uring an event is asked for by each wait: nothing comes when nobody waits. */
static bool
has_edges(void)
{
	return wf_poll_backend() == &wf_poll_epoll;
}

static bool
is_registered(int fd)
{
	struct pd *pd = wf_pd_find(fd);
	bool is;

	if (pd == NULL || wf_poll_backend() == NULL)
		return false;
	(void)wf_enter();
	wf_lock(&pd->lock);
	is = pd->is_registered || !has_edges();
	wf_unlock(&pd->lock);
	wf_leave();
	return is;
}

/* Two ends of a connection over TCP; the reader's, fd[0], has waited before: edges come. */
static void
tcp_pair(int fd[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);
	char c;

	EXPECT_EQ(bind(listener, (struct sockaddr *)&a, len), 0);
	EXPECT_EQ(listen(listener, 1), 0);
	EXPECT_EQ(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(connect(fd[1], (struct sockaddr *)&a, len), 0);
	fd[0] = weft_accept(listener, NULL, NULL, WEFT_FOREVER);
	EXPECT(fd[0] >= 0);
	EXPECT_EQ(close(listener), 0);
	/* On a slow machine the deadline passes before it waits. */
	for (int64_t ns = MS; !is_registered(fd[0]); ns *= 2)
		EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(ns)), -ETIMEDOUT);
}

static bool
is_drained(int fd)
{
	return wf_load_relaxed(&wf_pd_find(fd)->is_drained);
}

/* Makes weft look for events. */
static void
look(void)
{
	char c;
	int other[2];

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
	EXPECT_EQ(weft_read(other[0], &c, 1, weft_in(MS)), -ETIMEDOUT);
	EXPECT_EQ(weft_close(other[0]), 0);
	EXPECT_EQ(close(other[1]), 0);
}

/* Until an event of fd has been handled that nobody waited for. */
static void
await_ready(int fd)
{
	while (has_edges() && wf_load_relaxed(&wf_pd_find(fd)->ready[PD_READ]) == 0)
		look();
}

/* Until one has that tells of more than data. */
static void
await_end(int fd)
{
	while (has_edges()) {
		struct pd *pd = wf_pd_find(fd);
		bool has_ended;

		(void)wf_enter();
		wf_lock(&pd->lock);
		has_ended = pd->has_ended;
		wf_unlock(&pd->lock);
		wf_leave();
		if (has_ended)
			break;
		look();
	}
}

/* What is there is read without a wait. */
static ssize_t
read_at_once(int fd, char *buf, size_t n)
{
	ssize_t r;

	if (!has_edges())
		return weft_read(fd, buf, n, WEFT_FOREVER);
	hold_at("pd.parks");
	r = weft_read(fd, buf, n, WEFT_FOREVER);
	EXPECT_EQ(hold_count("pd.parks"), 0);
	hold_release("pd.parks");
	return r;
}

/* A byte came and was taken by a receive that asked for more. */
static void
drain_one(int fd[2])
{
	char buf[16];

	EXPECT_EQ(write(fd[1], "a", 1), 1);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 1);
	EXPECT(is_drained(fd[0]));
}

struct call {
	pthread_t thread;
	int fd;
	char c;
	ssize_t r;
};

static void *
read_thread(void *arg)
{
	struct call *c = arg;

	c->r = weft_read(c->fd, &c->c, 1, WEFT_FOREVER);
	return NULL;
}

static void *
drain_thread(void *arg)
{
	struct call *c = arg;
	char buf[16];

	c->r = weft_read(c->fd, buf, sizeof(buf), WEFT_FOREVER);
	return NULL;
}

/* As drain_one(), by one who waited: so the byte's edge is over, whoever looks for events when. */
static void
drain_one_awaited(int fd[2])
{
	struct call rd = {.fd = fd[0]};

	hold_at("pd.parks");
	EXPECT_EQ(pthread_create(&rd.thread, NULL, drain_thread, &rd), 0);
	hold_await("pd.parks");
	EXPECT_EQ(write(fd[1], "a", 1), 1);
	hold_release("pd.parks");
	EXPECT_EQ(pthread_join(rd.thread, NULL), 0);
	EXPECT_EQ(rd.r, 1);
	EXPECT(is_drained(fd[0]));
}

/* R7. The next read waits without asking, and gets what comes while it is about to. */
TEST(a_short_read_is_not_followed_by_an_empty_one)
{
	struct call rd;
	int fd[2];

	tcp_pair(fd);
	drain_one_awaited(fd);
	hold_at("pd.parks");
	rd.fd = fd[0];
	EXPECT_EQ(pthread_create(&rd.thread, NULL, read_thread, &rd), 0);
	hold_await("pd.parks");
	EXPECT(wf_pd_find(fd[0])->is_unasked);
	EXPECT_EQ(write(fd[1], "b", 1), 1);
	hold_release("pd.parks");
	EXPECT_EQ(pthread_join(rd.thread, NULL), 0);
	EXPECT_EQ(rd.r, 1);
	EXPECT_EQ(rd.c, 'b');
}

/* R7. What came between the two reads, and whose edge was handled when nobody waited, is there. */
TEST(data_between_two_reads_is_seen)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	drain_one(fd);
	EXPECT_EQ(write(fd[1], "bc", 2), 2);
	await_ready(fd[0]);
	EXPECT_EQ(read_at_once(fd[0], buf, sizeof(buf)), 2);
}

/* R7. The edge is forgotten by a receive of another kind, which leaves something behind. */
TEST(a_receive_of_another_kind_ends_what_the_read_knew)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	drain_one(fd);
	EXPECT_EQ(write(fd[1], "bc", 2), 2);
	await_ready(fd[0]);
	EXPECT_EQ(weft_recv(fd[0], buf, 1, 0, WEFT_FOREVER), 1);
	EXPECT_EQ(read_at_once(fd[0], buf, sizeof(buf)), 1);
}

/* R8. The end came in the same edge as the data before it: no other will tell of it. */
TEST(the_end_that_came_with_the_data_is_seen)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	EXPECT_EQ(write(fd[1], "a", 1), 1);
	EXPECT_EQ(shutdown(fd[1], SHUT_WR), 0);
	await_end(fd[0]);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 1);
	EXPECT_EQ(read_at_once(fd[0], buf, sizeof(buf)), 0);
}

/* R8. A receive stops short at urgent data, and there is more behind. */
TEST(data_behind_urgent_data_is_seen)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	EXPECT_EQ(write(fd[1], "a", 1), 1);
	EXPECT_EQ(send(fd[1], "!", 1, MSG_OOB), 1);
	EXPECT_EQ(write(fd[1], "b", 1), 1);
	await_end(fd[0]);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 1);
	EXPECT_EQ(buf[0], 'a');
	EXPECT_EQ(read_at_once(fd[0], buf, sizeof(buf)), 1);
	EXPECT_EQ(buf[0], 'b');
}

/* Who may not wait asks: the data may be there, and its edge not yet handled. */
TEST(a_read_that_may_not_wait_asks)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	drain_one(fd);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_NOW), -ETIMEDOUT);
	drain_one(fd);
	EXPECT_EQ(write(fd[1], "b", 1), 1);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_NOW), 1);
	EXPECT_EQ(buf[0], 'b');
}

/* R9. No edge comes, for a reason that nobody thought of: the look that is due in 0.2 s helps. */
TEST(a_wait_without_a_question_ends_by_itself)
{
	struct pd *pd;
	struct call rd;
	bool is_known;
	char buf[16];
	int fd[2];

	/* Not by the first look, which registers anew: a reader waits until that is over. */
	tcp_pair(fd);
	pd = wf_pd_find(fd[0]);
	rd.fd = fd[0];
	EXPECT_EQ(pthread_create(&rd.thread, NULL, read_thread, &rd), 0);
	do {
		EXPECT_EQ(weft_sleep(MS), 0);
		(void)wf_enter();
		wf_lock(&pd->lock);
		is_known = pd->socket_id != 0 || !has_edges();
		wf_unlock(&pd->lock);
		wf_leave();
	} while (!is_known);
	EXPECT_EQ(write(fd[1], "x", 1), 1);
	EXPECT_EQ(pthread_join(rd.thread, NULL), 0);

	EXPECT_EQ(write(fd[1], "a", 1), 1);
	await_ready(fd[0]);
	wf_store_relaxed(&wf_pd_find(fd[0])->ready[PD_READ], 0);
	wf_store_relaxed(&wf_pd_find(fd[0])->is_drained, true);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 1);
}

/* ... also when others begin to wait there all the time. */
static _Atomic bool is_over;

static void
ask_again_and_again(void *fd)
{
	while (!is_over)
		EXPECT(weft_poll(*(int *)fd, POLLPRI, weft_in(20 * MS)) <= 0);
	is_over = false;
}

TEST(a_wait_without_a_question_ends_beside_others)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	EXPECT_EQ(weft_go(ask_again_and_again, &fd[0]), 0);
	EXPECT_EQ(weft_sleep(300 * MS), 0);	/* what is new here has been looked at, too */
	EXPECT_EQ(write(fd[1], "a", 1), 1);
	await_ready(fd[0]);
	wf_store_relaxed(&wf_pd_find(fd[0])->ready[PD_READ], 0);
	wf_store_relaxed(&wf_pd_find(fd[0])->is_drained, true);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 1);
	is_over = true;
	while (is_over)
		weft_yield();
}

/*
 * R8. Urgent data that was taken before its event was handed out: the mark that it leaves stops the
 * next receive short, and nothing tells of what is behind.
 */
TEST(urgent_data_that_was_taken_is_remembered)
{
	char buf[16];
	int fd[2];

	tcp_pair(fd);
	EXPECT_EQ(send(fd[1], "abX", 3, MSG_OOB), 3);
	EXPECT_EQ(send(fd[1], "cd", 2, 0), 2);
	while (recv(fd[0], buf, 1, MSG_OOB | MSG_PEEK) < 0)
		EXPECT_EQ(weft_sleep(MS), 0);
	EXPECT_EQ(weft_recv(fd[0], buf, 1, MSG_OOB, WEFT_NOW), 1);
	(void)wf_enter();
	EXPECT(wf_pd_find(fd[0])->has_ended);
	wf_leave();
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 2);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 2);
	EXPECT_EQ(memcmp(buf, "cd", 2), 0);
}

/* What is not TCP may come in pieces, each behind a short read: it is asked each time. */
TEST(other_sockets_are_always_asked)
{
	char buf[16];
	int fd[2];

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	EXPECT_EQ(write(fd[1], "a", 1), 1);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 1);
	EXPECT(!is_drained(fd[0]));
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(close(fd[1]), 0);
}
