/*
 * Receives that the kernel does for who waits (src/poll/README.md, "Readiness by the ring", U5,
 * U10, H1-H6): what ends the wait races with the data, which is neither lost nor taken by nobody.
 * With io_uring, whatever is asked for.
 */
#include "poll/backend.h"

#include <weft.h>

#include "hold.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

struct reader {
	pthread_t thread;
	int fd;
	char buf[8];
	ssize_t r;
};

static void *
read_thread(void *arg)
{
	struct reader *rd = arg;

	rd->r = weft_read(rd->fd, rd->buf, sizeof(rd->buf), WEFT_FOREVER);
	return NULL;
}

static void *
close_thread(void *arg)
{
	EXPECT_EQ(weft_close(*(int *)arg), 0);
	return NULL;
}

/* Two ends; weft, which begins here, reads from the first. */
static void
pair(int fd[2])
{
	char c;

	EXPECT_EQ(setenv("WEFT_POLLER", "uring", 1), 0);
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	/* On a slow machine the deadline passes before it waits, and so chooses a backend. */
	while (wf_poll_backend() == NULL)
		EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(MS)), -ETIMEDOUT);
	if (wf_poll_backend() != &wf_poll_uring)
		SKIP("no io_uring here");
}

static bool
has_reader(int fd)
{
	struct pd *pd = wf_pd_find(fd);
	bool has;

	if (pd == NULL)
		return false;
	(void)wf_enter();
	wf_lock(&pd->lock);
	has = pd->wait[PD_READ].head != NULL;
	wf_unlock(&pd->lock);
	wf_leave();
	return has;
}

/* It waits; and the next time its wait ends before the kernel has received, it stops. */
static void
start(struct reader *rd, int fd)
{
	hold_at("uring.disarm");
	rd->fd = fd;
	EXPECT_EQ(pthread_create(&rd->thread, NULL, read_thread, rd), 0);
	/* Or it stands there already: waits that last are begun anew. */
	while (!has_reader(fd) && hold_count("uring.disarm") == 0)
		EXPECT_EQ(weft_sleep(MS), 0);
}

static void
finish(struct reader *rd, ssize_t expected)
{
	hold_release("uring.disarm");
	EXPECT_EQ(pthread_join(rd->thread, NULL), 0);
	EXPECT_EQ(rd->r, expected);
}

static int
bytes_in(int fd)
{
	int n;

	EXPECT_EQ(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

/* The kernel receives it for who waits, although that one is about to have it stopped. */
static void
send_and_await_receive(int fd[2])
{
	EXPECT_EQ(write(fd[1], "data", 4), 4);
	while (bytes_in(fd[0]) != 0)
		EXPECT_EQ(weft_sleep(MS), 0);
}

TEST(what_came_before_the_deadline_stopped_it_is_returned)
{
	struct reader rd;
	int fd[2];

	pair(fd);
	start(&rd, fd[0]);
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, WEFT_NOW), 0);
	hold_await("uring.disarm");
	send_and_await_receive(fd);
	finish(&rd, 4);
	EXPECT_EQ(memcmp(rd.buf, "data", 4), 0);
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(close(fd[1]), 0);
}

TEST(what_comes_after_the_deadline_is_the_next_readers)
{
	struct reader rd;
	int fd[2];
	char buf[8];

	pair(fd);
	start(&rd, fd[0]);
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, WEFT_NOW), 0);
	hold_await("uring.disarm");
	finish(&rd, -ETIMEDOUT);
	EXPECT_EQ(write(fd[1], "data", 4), 4);
	EXPECT_EQ(bytes_in(fd[0]), 4);
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_read(fd[0], buf, sizeof(buf), WEFT_FOREVER), 4);
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(close(fd[1]), 0);
}

TEST(what_came_before_a_close_stopped_it_is_returned)
{
	struct reader rd;
	pthread_t closer;
	int fd[2];

	pair(fd);
	start(&rd, fd[0]);
	EXPECT_EQ(pthread_create(&closer, NULL, close_thread, &fd[0]), 0);
	hold_await("uring.disarm");
	send_and_await_receive(fd);
	finish(&rd, 4);
	EXPECT_EQ(pthread_join(closer, NULL), 0);
	EXPECT_EQ(close(fd[1]), 0);
}

TEST(a_close_leaves_no_receive_behind)
{
	struct reader rd;
	pthread_t closer;
	int fd[2];
	char c;

	pair(fd);
	start(&rd, fd[0]);
	EXPECT_EQ(pthread_create(&closer, NULL, close_thread, &fd[0]), 0);
	hold_await("uring.disarm");
	finish(&rd, -EBADF);
	EXPECT_EQ(pthread_join(closer, NULL), 0);
	EXPECT_EQ(read(fd[1], &c, 1), 0);	/* nothing holds on to the other end */
	EXPECT_EQ(close(fd[1]), 0);
}

/* ---- Who was to hand it over does not come to it ---- */

static struct {
	int fd[2], stop[2];
	_Atomic bool blocks;
	ssize_t r;
} job;

static void
read_job(void *arg)
{
	char c;

	(void)arg;
	job.r = weft_read(job.fd[0], &c, 1, WEFT_FOREVER);
	EXPECT_EQ(write(job.stop[1], "x", 1), 1);
}

/* In the kernel, unmarked: the thread has the only P until it is taken away. */
static void
block_job(void *arg)
{
	char c;

	(void)arg;
	while (!has_reader(job.fd[0]))
		weft_yield();
	wf_store_release(&job.blocks, true);
	EXPECT_EQ(read(job.stop[0], &c, 1), 1);
}

TEST(a_receive_is_handed_over_although_its_thread_blocks)
{
	weft_waitgroup wg = {0};

	pair(job.fd);
	(void)weft_gomaxprocs(1);
	EXPECT_EQ(pipe(job.stop), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, read_job, NULL), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, block_job, NULL), 0);
	while (!wf_load_acquire(&job.blocks))
		EXPECT_EQ(weft_sleep(MS), 0);
	EXPECT_EQ(write(job.fd[1], "x", 1), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(60 * SEC * test_scale())), 0);
	EXPECT_EQ(job.r, 1);
}
