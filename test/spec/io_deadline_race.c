/*
 * A deadline or a cancellation that comes at the same moment as the data: the reader always comes
 * back, with the byte or without, and no byte is lost.
 *
 * ctest: timeout=180
 */
#include <weft.h>

#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define US ((int64_t)1000)
#define ROUNDS (20000 / test_scale() / test_scale())

static int fds[2];
static atomic_long n_read, n_late, n_cancelled;

/*
 * SCENARIOS 304: in Go another goroutine moves the deadline of a Unix socket that is being read;
 * once in a while the reader hung for ever. Here the deadline goes with the call: it moves with
 * each, around the moment at which the data comes.
 */
static void
read_with_deadlines_that_move(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	char c;

	while (atomic_load(&n_read) < ROUNDS) {
		ssize_t r = weft_read(fds[0], &c, 1,
		    weft_in((int64_t)(test_rand(&seed) % 40) * US));

		EXPECT(r == 1 || r == -ETIMEDOUT);
		atomic_fetch_add(r == 1 ? &n_read : &n_late, 1);
	}
}

TEST(a_deadline_at_the_moment_of_the_data)
{
	uint64_t seed = test_seed(), reader_seed = ~seed;
	weft_waitgroup readers = { 0 };

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (int procs = 1; procs <= 2; procs++) {
		weft_gomaxprocs(procs);
		atomic_store(&n_read, 0);
		EXPECT_EQ(weft_waitgroup_go(&readers, read_with_deadlines_that_move,
		    &reader_seed), 0);
		for (int i = 0; i < ROUNDS; i++) {
			weft_sleep((int64_t)(test_rand(&seed) % 40) * US);
			EXPECT_EQ(weft_write(fds[1], "x", 1, WEFT_FOREVER), 1);
		}
		EXPECT_EQ(weft_waitgroup_wait(&readers, weft_in((int64_t)60000000 * US)), 0);
		EXPECT_EQ(atomic_load(&n_read), ROUNDS);
	}
	EXPECT(atomic_load(&n_late) > 0);
	weft_close(fds[0]);
	weft_close(fds[1]);
}

static int
read_until_cancelled(void *arg)
{
	char c;
	ssize_t r = weft_read(fds[0], &c, 1, WEFT_FOREVER);

	(void)arg;
	EXPECT(r == 1 || r == -ECANCELED);
	atomic_fetch_add(r == 1 ? &n_read : &n_cancelled, 1);
	return 0;
}

/* SCENARIOS 304: from outside, too, a read can be ended at any moment. */
TEST(a_cancellation_at_the_moment_of_the_data)
{
	uint64_t seed = test_seed();
	long n_written = 0;

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	weft_gomaxprocs(2);
	for (int i = 0; i < ROUNDS / 4; i++) {
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

		EXPECT_EQ(weft_scope_go(s, read_until_cancelled, NULL), 0);
		weft_sleep((int64_t)(test_rand(&seed) % 20) * US);
		if (test_rand(&seed) % 2 == 0) {
			EXPECT_EQ(weft_write(fds[1], "x", 1, WEFT_FOREVER), 1);
			n_written++;
		}
		weft_scope_cancel(s, -ECANCELED);
		EXPECT_EQ(weft_scope_wait(s, weft_in((int64_t)60000000 * US)), 0);
		weft_scope_free(s);
	}
	/* What no reader got is still there. */
	for (char c; recv(fds[0], &c, 1, MSG_DONTWAIT) == 1;)
		n_written--;
	EXPECT_EQ(atomic_load(&n_read), n_written);
	EXPECT_EQ(atomic_load(&n_read) + atomic_load(&n_cancelled), ROUNDS / 4);
	weft_close(fds[0]);
	weft_close(fds[1]);
}
