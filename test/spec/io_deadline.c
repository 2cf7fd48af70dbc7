/*
 * Deadlines of a descriptor, moved while goroutines wait.
 */
#include "io_util.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

struct wait {
	int fd;
	int r;
	int64_t ended;
	bool is_write;
};

static char big[1 << 23];

static void
wait_on(void *arg)
{
	struct wait *w = arg;
	char c;

	w->r = w->is_write ? (int)weft_write(w->fd, big, sizeof(big), WEFT_FOREVER)
			   : (int)weft_read(w->fd, &c, 1, WEFT_FOREVER);
	w->ended = weft_now();
}

static void
start_waits(struct wait w[3], int fd, bool is_write, weft_waitgroup *wg)
{
	for (int i = 0; i < 3; i++) {
		w[i] = (struct wait){.fd = fd, .r = 1, .is_write = is_write};
		EXPECT_EQ(weft_waitgroup_go(wg, wait_on, &w[i]), 0);
	}
	let_run();
}

/* SCENARIOS 204. Somebody else decides that it has lasted long enough. One waits for data, two for
 * their turn. */
TEST(a_past_deadline_ends_waits_under_way)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup readers = {0}, writers = {0};
		struct wait r[3], w[3];
		int fd[2];
		char c;

		stream_pair(kind, fd);
		(void)fill_up(fd[1]);
		start_waits(w, fd[1], true, &writers);
		EXPECT_EQ(weft_set_deadline(fd[1], WEFT_WRITES, weft_now() - SEC), 0);
		EXPECT_EQ(weft_waitgroup_wait(&writers, soon()), 0);
		for (int i = 0; i < 3; i++)
			EXPECT(w[i].r == -ETIMEDOUT || w[i].r > 0); /* TCP may still take some */
		while (weft_read(fd[0], big, sizeof(big), weft_in(5 * MS)) > 0)
			continue;
		start_waits(r, fd[0], false, &readers);
		EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, WEFT_NOW), 0);
		EXPECT_EQ(weft_waitgroup_wait(&readers, soon()), 0);
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(r[i].r, -ETIMEDOUT);
		/* Later ones too, but what can go goes. */
		EXPECT_EQ(weft_read(fd[0], &c, 1, WEFT_FOREVER), -ETIMEDOUT);
		EXPECT_EQ(weft_write(fd[1], "x", 1, WEFT_FOREVER), 1);
		EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_read(fd[0], &c, 1, soon()), 1);
		close_pair(fd);
	}
}

/* Moved on before it comes, it does not come; moved up, it comes earlier. */
TEST(a_deadline_moves_both_ways)
{
	weft_waitgroup wg = {0};
	struct wait r[3];
	int64_t near, far;
	int fd[2];

	stream_pair(TCP, fd);
	near = weft_in(100 * MS);
	far = near + 100 * MS;
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS | WEFT_WRITES, near), 0);
	start_waits(r, fd[0], false, &wg);
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, far), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(r[i].r, -ETIMEDOUT);
		/* If we were late ourselves, the first one may have come. */
		EXPECT(r[i].ended >= near);
	}
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, weft_in(1000 * SEC)), 0);
	start_waits(r, fd[0], false, &wg);
	near = weft_in(20 * MS);
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, near), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(r[i].r, -ETIMEDOUT);
		EXPECT(r[i].ended >= near);
	}
	/* That of the call counts as well. */
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, weft_in(1000 * SEC)), 0);
	EXPECT_EQ(weft_read(fd[0], big, 1, weft_in(5 * MS)), -ETIMEDOUT);
	close_pair(fd);
}

/* A connection closed with a deadline leaves none to the next with its number. */
TEST(a_deadline_ends_with_its_descriptor)
{
	weft_waitgroup wg = {0};
	struct wait r[3];
	int fd[2], next[2], listener;
	char address[32], c;

	EXPECT_EQ(weft_set_deadline(999, WEFT_READS, WEFT_NOW), -EBADF);
	EXPECT_EQ(weft_set_deadline(-1, WEFT_READS, WEFT_NOW), -EBADF);
	EXPECT_EQ(weft_set_deadline(0, 0, WEFT_NOW), -EINVAL);
	EXPECT_EQ(weft_set_deadline(0, 4, WEFT_NOW), -EINVAL);
	stream_pair(PIPE, fd);
	EXPECT_EQ(weft_set_deadline(fd[0], WEFT_READS, WEFT_NOW), 0);
	EXPECT_EQ(weft_set_deadline(fd[1], WEFT_READS, WEFT_NOW), 0);
	EXPECT_EQ(weft_read(fd[0], &c, 1, WEFT_FOREVER), -ETIMEDOUT);
	close_pair(fd);
	stream_pair(PIPE, next);
	EXPECT_EQ(next[0], fd[0]);
	start_waits(r, next[0], false, &wg);
	EXPECT_EQ(weft_write(next[1], "abc", 3, soon()), 3);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(r[i].r, 1);
	close_pair(next);
	listener = listen_local(address);
	EXPECT_EQ(weft_set_deadline(listener, WEFT_READS, weft_in(5 * MS)), 0);
	EXPECT_EQ(weft_accept(listener, NULL, NULL, WEFT_FOREVER), -ETIMEDOUT);
	EXPECT_EQ(weft_close(listener), 0);
}

/* SCENARIOS 201. Deadlines fly about while bytes do: none lost, none doubled, nobody stuck. */
struct flight {
	int fd[2];
	_Atomic uint64_t got;
	_Atomic bool stop;
	uint64_t sent;
};

static void
read_on(void *arg)
{
	struct flight *f = arg;
	unsigned char buf[1000];
	ssize_t r;

	while ((r = weft_read(f->fd[0], buf, sizeof(buf), WEFT_FOREVER)) != 0) {
		EXPECT(r > 0 || r == -ETIMEDOUT);
		if (r > 0)
			f->got += (uint64_t)r;
		else
			weft_yield();
	}
}

static void
move_deadlines(void *arg)
{
	struct flight *f = arg;
	uint64_t state = test_seed();

	while (!f->stop) {
		int64_t ns = (int64_t)(test_rand(&state) % 200) * 10000;

		EXPECT_EQ(weft_set_deadline(f->fd[0], WEFT_READS, weft_in(ns - MS / 2)), 0);
		EXPECT_EQ(weft_set_deadline(f->fd[1], WEFT_WRITES, weft_in(ns - MS / 2)), 0);
		weft_yield();
	}
	EXPECT_EQ(weft_set_deadline(f->fd[0], WEFT_READS, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_set_deadline(f->fd[1], WEFT_WRITES, WEFT_FOREVER), 0);
}

TEST(deadlines_that_fly_about_lose_nothing)
{
	(void)test_seed();
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup wg = {0}, movers = {0};
		struct flight f = {.got = 0};
		int64_t end = weft_in(200 * MS);

		stream_pair(kind, f.fd);
		for (int i = 0; i < 5; i++)
			EXPECT_EQ(weft_waitgroup_go(&wg, read_on, &f), 0);
		for (int i = 0; i < 2; i++)
			EXPECT_EQ(weft_waitgroup_go(&movers, move_deadlines, &f), 0);
		while (weft_now() < end) {
			ssize_t r = weft_write(f.fd[1], big, 70000, WEFT_FOREVER);

			EXPECT(r > 0 || r == -ETIMEDOUT);
			f.sent += r > 0 ? (uint64_t)r : 0;
			weft_yield();
		}
		f.stop = true;
		EXPECT_EQ(weft_waitgroup_wait(&movers, soon()), 0);
		EXPECT_EQ(weft_close(f.fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(f.got, f.sent);
		EXPECT_EQ(weft_close(f.fd[0]), 0);
	}
}

/*
 * Whoever waits is woken again and again with nothing to be had (every signal wakes who polls a
 * signalfd), and each wait ends at its deadline. io_uring is then busy with the very request that
 * is to be taken back, and may refuse that.
 */
static void
do_nothing(int signo)
{
	(void)signo;
}

static void *
wake_for_nothing(void *arg)
{
	struct flight *f = arg;

	while (!f->stop)
		EXPECT_EQ(raise(SIGUSR2), 0);
	return NULL;
}

TEST(a_wait_that_is_woken_for_nothing_ends_at_its_deadline)
{
	struct flight f = {.got = 0};
	sigset_t other;
	pthread_t t[2];

	sigemptyset(&other);
	sigaddset(&other, SIGUSR1);
	f.fd[0] = signalfd(-1, &other, SFD_NONBLOCK | SFD_CLOEXEC);
	EXPECT(f.fd[0] >= 0 && signal(SIGUSR2, do_nothing) != SIG_ERR);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&t[i], NULL, wake_for_nothing, &f), 0);
	for (int i = 0; i < 400 / test_scale(); i++)
		EXPECT_EQ(weft_poll(f.fd[0], POLLIN, weft_in(i % 5 * MS / 20)), -ETIMEDOUT);
	f.stop = true;
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_join(t[i], NULL), 0);
	EXPECT_EQ(weft_close(f.fd[0]), 0);
}
