/*
 * The end of a descriptor that others use: they are told, and none of them ever touches the
 * next descriptor with the same number.
 */
#include "io_util.h"

#include "goroutines.h"

#include <poll.h>
#include <sys/ioctl.h>

struct user {
	int fd;
	int events;
	ssize_t r;
};

static void
read_it(void *arg)
{
	struct user *u = arg;
	char c;

	u->r = weft_read(u->fd, &c, 1, soon());
}

static void
write_it(void *arg)
{
	struct user *u = arg;
	static char big[1 << 22];

	/* Partly written counts as written, so it goes on until nothing goes. */
	do
		u->r = weft_write(u->fd, big, sizeof(big), soon());
	while (u->r > 0);
}

static void
poll_it(void *arg)
{
	struct user *u = arg;

	u->r = weft_poll(u->fd, (short)u->events, soon());
}

static void
accept_it(void *arg)
{
	struct user *u = arg;

	u->r = weft_accept(u->fd, NULL, NULL, soon());
}

/*
 * SCENARIOS 220, 245; catalogue 60. A server that shuts down closes what its goroutines wait on:
 * all of them must come back, those that wait for their turn too, and the number must be free.
 */
TEST(close_wakes_all_that_wait)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup wg = {0};
		struct user u[6];
		int fd[2];

		stream_pair(kind, fd);
		fill_up(fd[1]);
		if (kind >= PIPE) { /* its two ends are one each way */
			for (int i = 0; i < 6; i++)
				u[i] = (struct user){.fd = fd[1], .events = POLLOUT};
		} else {
			for (int i = 0; i < 6; i++)
				u[i] =
				    (struct user){.fd = fd[1], .events = i < 3 ? POLLOUT : POLLIN};
			EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &u[3]), 0);
			EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &u[4]), 0);
			EXPECT_EQ(weft_waitgroup_go(&wg, poll_it, &u[5]), 0);
		}
		EXPECT_EQ(weft_waitgroup_go(&wg, write_it, &u[0]), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, write_it, &u[1]), 0);
		let_run();
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(u[0].r, -EBADF);
		EXPECT_EQ(u[1].r, -EBADF);
		for (int i = 3; i < 6 && kind < PIPE; i++)
			EXPECT_EQ(u[i].r, -EBADF);
		EXPECT_EQ(fcntl(fd[1], F_GETFD), -1);
		EXPECT_EQ(weft_close(fd[1]), -EBADF);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

/* SCENARIOS 220. Listeners and datagrams, too. */
TEST(close_wakes_accepters_and_udp_readers)
{
	weft_waitgroup wg = {0};
	char address[32];
	struct user u[3] = {{.fd = listen_local(address)}};

	u[1] = u[0];
	u[2].fd = weft_dial("udp", "127.0.0.1:9", soon());
	EXPECT(u[2].fd >= 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, accept_it, &u[0]), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, accept_it, &u[1]), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &u[2]), 0);
	let_run();
	EXPECT_EQ(weft_close(u[0].fd), 0);
	EXPECT_EQ(weft_close(u[2].fd), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(u[i].r, -EBADF);
}

/* Its own descriptors are made now, or a reader might find one with its number. */
static void
turn_the_poller_on(void)
{
	weft_waitgroup wg = {0};
	int fd[2];

	stream_pair(PIPE, fd);
	struct user u = {.fd = fd[0]};

	EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &u), 0);
	while (weft_dump_blocked(-1, 0) < 1)
		weft_sleep(MS);
	EXPECT_EQ(write(fd[1], "x", 1), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(u.r, 1);
	close_pair(fd);
}

/* SCENARIOS 245. A reader in any stage of its call, 1,000 times. */
TEST(close_races_with_a_reader_a_thousand_times)
{
	int rounds = 1000 / test_scale(), odd = 0;

	turn_the_poller_on();
	for (int i = 0; i < rounds; i++) {
		weft_waitgroup wg = {0};
		int fd[2];

		stream_pair(i % 2 == 0 ? PIPE : UNIX_SOCKET, fd);
		struct user u = {.fd = fd[0]};

		EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &u), 0);
		for (int k = i % 4; k > 0; k--)
			weft_yield();
		EXPECT_EQ(weft_close(fd[0]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		odd += u.r != -EBADF;
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
	/* One that begins after the close may find a file of /proc that the monitor looks at. */
	EXPECT(odd <= 3);
}

/*
 * SCENARIOS 245. A writer in any stage of its call, 1,000 times: its pipe is full from the start,
 * or about to be, so that it waits, or is just about to.
 */
TEST(close_races_with_a_writer_a_thousand_times)
{
	int rounds = 1000 / test_scale();

	turn_the_poller_on();
	for (int i = 0; i < rounds; i++) {
		weft_waitgroup wg = {0};
		int fd[2];

		stream_pair(i % 2 == 0 ? PIPE : UNIX_SOCKET, fd);
		if (i % 3 == 0)
			fill_up(fd[1]);
		struct user u = {.fd = fd[1]};

		EXPECT_EQ(weft_waitgroup_go(&wg, write_it, &u), 0);
		for (int k = i % 4; k > 0; k--)
			weft_yield();
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(u.r, -EBADF);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

/*
 * Exactly one of several closers may say that it closed: else another's descriptor is closed next.
 * One that comes when the number has been given out again does close that, as with close(2). The
 * runtime's monitor opens a file now and then, which gets the lowest number that is free: so there
 * is a lower one.
 */
static void
close_it(void *arg)
{
	struct user *u = arg;

	u->r = weft_close(u->fd);
}

static void
pair_above_a_free_number(int fd[2])
{
	int lower = open("/dev/null", O_RDONLY | O_CLOEXEC);

	stream_pair(UNIX_SOCKET, fd);
	if (fd[0] < lower) {	/* the monitor had that one a moment ago */
		EXPECT_EQ(close(fd[0]), 0);
		EXPECT_EQ(close(fd[1]), 0);
		pair_above_a_free_number(fd);
	}
	EXPECT_EQ(close(lower), 0);
}

TEST(only_one_of_many_closers_closes)
{
	for (int round = 0; round < 200 / test_scale(); round++) {
		weft_waitgroup wg = {0};
		struct user u[8], reader;
		int fd[2], closed = 0;

		pair_above_a_free_number(fd);
		reader = (struct user){.fd = fd[0]};
		EXPECT_EQ(weft_waitgroup_go(&wg, read_it, &reader), 0);
		if (round % 2 == 0)
			let_run();
		for (int i = 0; i < 8; i++) {
			u[i] = (struct user){.fd = fd[0]};
			EXPECT_EQ(weft_waitgroup_go(&wg, close_it, &u[i]), 0);
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		for (int i = 0; i < 8; i++) {
			EXPECT(u[i].r == 0 || u[i].r == -EBADF);
			closed += u[i].r == 0;
		}
		EXPECT_EQ(closed, 1);
		EXPECT_EQ(reader.r, -EBADF);
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
}

/*
 * SCENARIOS 242; catalogue 54, 67. Connections are closed under their readers while others are
 * opened as fast as possible, so that each number is given out again at once. Every connection
 * carries bytes that only its own reader may see: one wrong byte is somebody else's secret.
 */
struct storm {
	weft_waitgroup wg;
	_Atomic int serial;
	_Atomic int foreign; /* bytes that were another connection's */
	_Atomic int own;
	int rounds;
};

struct storm_reader {
	struct storm *st;
	int fd;
	unsigned char mark;
	weft_waitgroup started;
};

static void
storm_read(void *arg)
{
	struct storm_reader *sr = arg;
	unsigned char buf[16];
	ssize_t r;

	/* One call at a time, and none after the close: the call itself must not be fooled. */
	while ((r = weft_read(sr->fd, buf, sizeof(buf), soon())) > 0)
		for (ssize_t i = 0; i < r; i++) {
			if (buf[i] == sr->mark)
				sr->st->own++;
			else
				sr->st->foreign++;
		}
	EXPECT(r == -EBADF || r == 0);
}

static void
storm_worker(void *arg)
{
	struct storm *st = arg;

	for (int i = 0; i < st->rounds; i++) {
		unsigned char mark = (unsigned char)(st->serial++ % 251 + 1);
		weft_waitgroup wg = {0};
		struct storm_reader sr = {.st = st, .mark = mark};
		int fd[2];

		stream_pair(i % 3 == 0 ? PIPE : UNIX_SOCKET, fd);
		sr.fd = fd[0];
		EXPECT_EQ(weft_waitgroup_go(&wg, storm_read, &sr), 0);
		EXPECT_EQ(weft_write(fd[1], &mark, 1, soon()), 1);
		if (i % 5 == 0) {
			/* Until it has arrived, so that the test does not only see closed doors. */
			int before = st->own;

			for (int k = 0; k < 100 && st->own == before; k++)
				weft_yield();
		}
		/* The reader is inside its call or about to return; the number must not go yet. */
		EXPECT_EQ(shutdown(fd[1], SHUT_WR) == 0 || i % 3 == 0, true);
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

TEST(bytes_reach_only_their_own_connection_in_a_storm_of_opens)
{
	struct storm st = {.rounds = 300 / test_scale()};

	for (int i = 0; i < 8; i++)
		EXPECT_EQ(weft_waitgroup_go(&st.wg, storm_worker, &st), 0);
	EXPECT_EQ(weft_waitgroup_wait(&st.wg, weft_in(40 * SEC * test_scale())), 0);
	EXPECT_EQ(st.foreign, 0);
	EXPECT(st.own > 0);
}

/*
 * The same with the reader certainly in the middle of its call: it waits for two bytes and has one.
 * Others wait for just that number, with bytes of their own.
 */
static void
read_two(void *arg)
{
	struct user *u = arg;
	char two[2] = "";

	u->r = weft_recv(u->fd, two, 2, MSG_WAITALL, soon());
	EXPECT_EQ(two[0], 'a');
}

static void
open_with_a_byte(void *arg)
{
	int fd[2];

	(void)arg;
	for (int i = 0; i < 5; i++) {
		stream_pair(UNIX_SOCKET, fd);
		EXPECT_EQ(weft_write(fd[1], "!", 1, soon()), 1);
		weft_yield();
		close_pair(fd);
	}
}

/* SCENARIOS 242. The same of a read that is under way. */
TEST(a_read_under_way_never_gets_the_next_descriptors_bytes)
{
	for (int i = 0; i < 300 / test_scale(); i++) {
		weft_waitgroup wg = {0};
		int fd[2], unread;

		stream_pair(UNIX_SOCKET, fd);
		struct user u = {.fd = fd[0]}, closer = {.fd = fd[0]};

		EXPECT_EQ(weft_waitgroup_go(&wg, read_two, &u), 0);
		EXPECT_EQ(weft_write(fd[1], "a", 1, soon()), 1);
		do {
			weft_yield();
			EXPECT_EQ(ioctl(fd[0], FIONREAD, &unread), 0);
		} while (unread > 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, open_with_a_byte, NULL), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, close_it, &closer), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, open_with_a_byte, NULL), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(closer.r, 0);
		EXPECT_EQ(u.r, 1);
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
}

/* Catalogue 59: of two listeners, whose numbers are reused all the time, each gets its own clients.
 */
TEST(two_listeners_are_not_mixed_up)
{
	for (int i = 0; i < 100 / test_scale(); i++) {
		weft_waitgroup wg = {0};
		struct user u[2];
		char address[2][32], c;
		int client[2];

		for (int k = 0; k < 2; k++) {
			u[k] = (struct user){.fd = listen_local(address[k])};
			EXPECT_EQ(weft_waitgroup_go(&wg, accept_it, &u[k]), 0);
		}
		for (int k = 0; k < 2; k++) {
			client[k] = weft_dial("tcp", address[k], soon());
			EXPECT(client[k] >= 0);
			EXPECT_EQ(weft_write(client[k], k == 0 ? "0" : "1", 1, soon()), 1);
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		for (int k = 0; k < 2; k++) {
			EXPECT(u[k].r >= 0);
			EXPECT_EQ(weft_read((int)u[k].r, &c, 1, soon()), 1);
			EXPECT_EQ(c, '0' + k);
			EXPECT_EQ(weft_close((int)u[k].r), 0);
			EXPECT_EQ(weft_close(client[k]), 0);
			EXPECT_EQ(weft_close(u[k].fd), 0);
		}
	}
}

/* Catalogue 61. Peers vanish while we read and write; no goroutine is woken after its end. */
static void
vanish(void *arg)
{
	int fd = *(int *)arg;

	weft_yield();
	EXPECT_EQ(weft_close(fd), 0);
}

TEST(peers_that_vanish_leave_nothing_behind)
{
	int before = weft_numgoroutine();

	for (int i = 0; i < 300 / test_scale(); i++) {
		weft_waitgroup wg = {0};
		char buf[64] = "";
		ssize_t r;
		int fd[2];

		stream_pair(i % 2 == 0 ? TCP : UNIX_SOCKET, fd);
		EXPECT_EQ(weft_waitgroup_go(&wg, vanish, &fd[1]), 0);
		while ((r = weft_write(fd[0], buf, sizeof(buf), weft_in(1000))) > 0)
			weft_yield();
		EXPECT(r == -EPIPE || r == -ECONNRESET || r == -ETIMEDOUT);
		r = weft_read(fd[0], buf, sizeof(buf), soon());
		EXPECT(r == 0 || r == -ECONNRESET);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
	expect_goroutines(before);
}

/* What is no descriptor must be said to be none, by every call. */
TEST(calls_on_what_is_not_open_say_so)
{
	int bad[] = {-1, -2147483647, 999, 70000000, 2147483647};
	char c = 0;
	off_t off = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		bool beyond = bad[i] >= 16384 * 4096;
		int expected = beyond ? -EMFILE : -EBADF;

		EXPECT_EQ(weft_read(bad[i], &c, 1, soon()), expected);
		EXPECT_EQ(weft_write(bad[i], &c, 1, soon()), expected);
		EXPECT_EQ(weft_recv(bad[i], &c, 1, 0, soon()), expected);
		EXPECT_EQ(weft_send(bad[i], &c, 1, 0, soon()), expected);
		EXPECT_EQ(weft_accept(bad[i], NULL, NULL, soon()), expected);
		EXPECT_EQ(weft_connect(bad[i], NULL, 0, soon()), expected);
		EXPECT_EQ(weft_poll(bad[i], POLLIN, soon()), expected);
		EXPECT_EQ(weft_pread(bad[i], &c, 1, 0, soon()), expected);
		EXPECT_EQ(weft_sendfile(bad[i], 0, &off, 1, soon()), -EBADF);
		EXPECT_EQ(weft_close(bad[i]), -EBADF);
	}
	EXPECT_EQ(weft_readv(0, NULL, -1, soon()), -EINVAL);
	EXPECT_EQ(weft_writev(0, NULL, -1, soon()), -EINVAL);
}
