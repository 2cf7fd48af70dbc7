/*
 * Reading and writing streams: data arrives whole and in order, deadlines are kept, and several
 * goroutines may use one descriptor. On TCP, Unix sockets and pipes, blocking ones too.
 */
#include "io_util.h"

#include <malloc.h>
#include <sys/uio.h>

/* SCENARIOS 200. A server whose answers are one behind would corrupt every protocol there is. */
static void
pong(void *arg)
{
	int fd = *(int *)arg;
	uint64_t i;

	for (uint64_t expected = 0; weft_read(fd, &i, sizeof(i), soon()) == sizeof(i); expected++) {
		EXPECT_EQ(i, 2 * expected);
		i++;
		EXPECT_EQ(weft_write(fd, &i, sizeof(i), soon()), sizeof(i));
	}
}

TEST(counters_go_back_and_forth)
{
	for (int kind = TCP; kind <= UNIX_BLOCKING; kind++) {
		weft_waitgroup wg = {0};
		int fd[2];

		stream_pair(kind, fd);
		EXPECT_EQ(weft_waitgroup_go(&wg, pong, &fd[0]), 0);
		for (uint64_t i = 0; i < 2000; i++) {
			uint64_t n = 2 * i;

			EXPECT_EQ(weft_write(fd[1], &n, sizeof(n), soon()), sizeof(n));
			EXPECT_EQ(weft_read(fd[1], &n, sizeof(n), soon()), sizeof(n));
			EXPECT_EQ(n, 2 * i + 1);
		}
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

/* A megabyte through a pipe of 64 KB: weft_write must go on where it stopped, many times. */
struct bulk {
	int fd;
	size_t n;
	uint64_t seed;
};

static void
write_bulk(void *arg)
{
	struct bulk *b = arg;
	unsigned char *buf = malloc(b->n);

	fill_pattern(buf, b->n, b->seed, 0);
	EXPECT_EQ(weft_write(b->fd, buf, b->n, soon()), b->n);
	EXPECT_EQ(weft_close(b->fd), 0);
	free(buf);
}

TEST(a_large_write_arrives_whole_then_end_of_file)
{
	uint64_t seed = test_seed();

	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup wg = {0};
		unsigned char buf[7777];
		uint64_t got = 0;
		ssize_t r;
		int fd[2];

		stream_pair(kind, fd);
		struct bulk b = {.fd = fd[1], .n = 1 << 20, .seed = seed};

		EXPECT_EQ(weft_waitgroup_go(&wg, write_bulk, &b), 0);
		while ((r = weft_read(fd[0], buf, sizeof(buf), soon())) > 0) {
			expect_pattern(buf, (size_t)r, seed, got);
			got += (uint64_t)r;
		}
		EXPECT_EQ(r, 0);
		EXPECT_EQ(got, b.n);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

/*
 * SCENARIOS 202, 210, 211. A read with nothing to read must end at its deadline, not before, and
 * leave the descriptor as it was. Past deadlines do not wait at all.
 */
TEST(a_read_of_nothing_times_out_and_later_ones_work)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		int64_t limits[] = {-5 * SEC, 0, 1, 50 * MS, 50 * MS};
		char c;
		int fd[2];

		stream_pair(kind, fd);
		for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
			int64_t start = weft_now(), end = weft_in(limits[i]);

			EXPECT_EQ(weft_read(fd[0], &c, 1, i == 1 ? WEFT_NOW : end), -ETIMEDOUT);
			EXPECT(limits[i] <= 0 || weft_now() >= end);
			EXPECT(weft_now() - start < 10 * SEC * test_scale());
		}
		EXPECT_EQ(weft_write(fd[1], "x", 1, WEFT_NOW), 1);
		/* What can go at once goes, whatever the deadline. A Unix socket is instant, so is
		 * a pipe. */
		EXPECT_EQ(weft_read(fd[0], &c, 1, kind == TCP ? soon() : WEFT_NOW), 1);
		EXPECT_EQ(c, 'x');
		close_pair(fd);
	}
}

/* SCENARIOS 202, 212. The same for writes into something full; then it drains, and they go on. */
TEST(a_write_to_something_full_times_out_and_later_ones_work)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		static char buf[1 << 20];
		int64_t end;
		ssize_t r;
		size_t n;
		int fd[2];

		stream_pair(kind, fd);
		n = fill_up(fd[1]);
		end = weft_in(50 * MS);
		r = weft_write(fd[1], buf, sizeof(buf), end);
		if (r > 0) /* TCP moves what is queued on to its receiver meanwhile */
			n += (size_t)r;
		else
			EXPECT_EQ(r, -ETIMEDOUT);
		EXPECT(weft_now() >= end);
		while (n > 0) {
			r = weft_read(fd[0], buf, sizeof(buf) < n ? sizeof(buf) : n, soon());
			EXPECT(r > 0);
			n -= (size_t)r;
		}
		EXPECT_EQ(weft_write(fd[1], "x", 1, soon()), 1);
		EXPECT_EQ(weft_read(fd[0], buf, 1, soon()), 1);
		EXPECT_EQ(buf[0], 'x');
		close_pair(fd);
	}
}

/* SCENARIOS 214. From 1 ns to 1 s, on one processor and on four: each must fire. */
static void
read_various(void *arg)
{
	static const int64_t limits[] = {1, 2, 5, 50, 100, 500, 750, 1000, 5000, 25000, 250000,
	    500000, 1 * MS, 5 * MS, 25 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * SEC};
	int *fd = arg;
	char c;

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		int64_t end = weft_in(limits[i]);

		EXPECT_EQ(weft_read(*fd, &c, 1, end), -ETIMEDOUT);
		EXPECT(weft_now() >= end);
	}
}

static void
various_deadlines(int procs)
{
	weft_waitgroup wg = {0};
	int fd[STREAM_KINDS][2];

	weft_gomaxprocs(procs);
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		stream_pair(kind, fd[kind]);
		EXPECT_EQ(weft_waitgroup_go(&wg, read_various, &fd[kind][0]), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(40 * SEC * test_scale())), 0);
	for (int kind = 0; kind < STREAM_KINDS; kind++)
		close_pair(fd[kind]);
}

TEST(deadlines_of_every_length_fire_on_one_processor)
{
	various_deadlines(1);
}

/* SCENARIOS 214. */
TEST(deadlines_of_every_length_fire_on_four_processors)
{
	various_deadlines(4);
}

/* SCENARIOS 211, 215. Deadlines that are never reached must not fire, with traffic and without. */
static void
trickle(void *arg)
{
	int *fd = arg;

	for (int i = 0; i < 40; i++) {
		EXPECT_EQ(weft_write(*fd, "x", 1, soon()), 1);
		weft_sleep(5 * MS);
	}
}

TEST(deadlines_that_move_on_never_fire)
{
	weft_waitgroup wg = {0};
	char c;
	int fd[2];

	stream_pair(TCP, fd);
	EXPECT_EQ(weft_waitgroup_go(&wg, trickle, &fd[1]), 0);
	for (int i = 0; i < 40; i++)
		EXPECT_EQ(weft_read(fd[0], &c, 1, soon()), 1);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(weft_write(fd[1], "y", 1, WEFT_FOREVER), 1);
	EXPECT_EQ(weft_read(fd[0], &c, 1, WEFT_FOREVER), 1);
	close_pair(fd);
}

/*
 * SCENARIOS 201. Ten readers and ten writers, all with deadlines so short that many pass in the
 * middle: bytes may be late, never lost, doubled or torn.
 */
struct racy {
	int fd;
	_Atomic uint64_t *sum;
	_Atomic uint64_t *count;
};

static void
racy_read(void *arg)
{
	struct racy *a = arg;
	unsigned char buf[64];

	for (int i = 0; i < 200; i++) {
		ssize_t r = weft_read(a->fd, buf, sizeof(buf), weft_in(i % 4 * 200000));

		if (r == -ETIMEDOUT)
			continue;
		EXPECT(r > 0);
		for (ssize_t k = 0; k < r; k++)
			*a->sum += buf[k];
		*a->count += (uint64_t)r;
	}
}

static void
racy_write(void *arg)
{
	struct racy *a = arg;
	unsigned char buf[64];

	for (unsigned i = 0; i < 200; i++) {
		uint64_t sum = 0;
		ssize_t r;

		for (unsigned k = 0; k < sizeof(buf); k++)
			buf[k] = (unsigned char)(i + 3 * k);
		r = weft_write(a->fd, buf, sizeof(buf), weft_in(i % 4 * 100000));
		if (r == -ETIMEDOUT)
			continue;
		EXPECT(r > 0);
		for (ssize_t k = 0; k < r; k++)
			sum += buf[k];
		*a->sum += sum;
		*a->count += (uint64_t)r;
	}
}

TEST(readers_and_writers_race_and_nothing_is_lost)
{
	_Atomic uint64_t sums[2] = {0}, counts[2] = {0};
	weft_waitgroup wg = {0};
	unsigned char c;
	int fd[2];

	stream_pair(TCP, fd);
	struct racy rd = {fd[0], &sums[0], &counts[0]}, wr = {fd[1], &sums[1], &counts[1]};

	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(weft_waitgroup_go(&wg, racy_read, &rd), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, racy_write, &wr), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(40 * SEC * test_scale())), 0);
	EXPECT_EQ(shutdown(fd[1], SHUT_WR), 0);
	while (weft_read(fd[0], &c, 1, soon()) == 1) {
		sums[0] += c;
		counts[0]++;
	}
	EXPECT_EQ(counts[0], counts[1]);
	EXPECT_EQ(sums[0], sums[1]);
	close_pair(fd);
}

/*
 * Go's promise, and what loggers rely on: one write is not interleaved with another, even when
 * each of them is larger than the pipe and must wait in the middle. Catalogue 62: several
 * goroutines on one descriptor and direction queue up.
 */
#define RECORD 100000

static void
write_record(void *arg)
{
	struct bulk *b = arg;
	char *buf = malloc(RECORD);

	memset(buf, (int)b->seed, RECORD);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(weft_write(b->fd, buf, RECORD, soon()), RECORD);
	free(buf);
}

TEST(whole_writes_are_not_interleaved)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		char *buf = malloc(RECORD);
		weft_waitgroup wg = {0};
		struct bulk b[4];
		int fd[2];

		stream_pair(kind, fd);
		for (unsigned i = 0; i < 4; i++) {
			b[i] = (struct bulk){.fd = fd[1], .seed = 'a' + i};
			EXPECT_EQ(weft_waitgroup_go(&wg, write_record, &b[i]), 0);
		}
		for (int i = 0; i < 20; i++) {
			read_all(fd[0], buf, RECORD);
			for (int k = 1; k < RECORD; k++)
				if (buf[k] != buf[0])
					FAIL("%s: '%c' within a record of '%c'", stream_names[kind],
					    buf[k], buf[0]);
		}
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		close_pair(fd);
		free(buf);
	}
}

/* Many readers of one descriptor: each byte wakes one that is still there, and all get theirs. */
struct reader {
	int fd;
	int64_t deadline;
	ssize_t r;
};

static void
read_one(void *arg)
{
	struct reader *rd = arg;
	char c;

	rd->r = weft_read(rd->fd, &c, 1, rd->deadline);
}

TEST(readers_in_line_are_all_served_also_behind_one_that_gave_up)
{
	struct reader rd[50];
	weft_waitgroup wg = {0};
	int fd[2], got = 0;

	stream_pair(PIPE, fd);
	for (int i = 0; i < 50; i++) {
		/* Every third leaves the line early: the turn must pass it by. */
		rd[i] = (struct reader){fd[0], i % 3 == 0 ? weft_in(20 * MS) : soon(), 0};
		EXPECT_EQ(weft_waitgroup_go(&wg, read_one, &rd[i]), 0);
	}
	weft_sleep(60 * MS);
	EXPECT_EQ(weft_write(fd[1], "0123456789012345678901234567890123456789", 33, soon()), 33);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	for (int i = 0; i < 50; i++) {
		EXPECT_EQ(rd[i].r, i % 3 == 0 ? -ETIMEDOUT : 1);
		got += rd[i].r == 1;
	}
	EXPECT_EQ(got, 33);
	close_pair(fd);
}

/* SCENARIOS 218. Half-closed: the peer sees the end, the other direction lives. */
TEST(each_direction_ends_by_itself)
{
	for (int kind = TCP; kind <= UNIX_BLOCKING; kind++) {
		char c;
		int fd[2];

		stream_pair(kind, fd);
		EXPECT_EQ(shutdown(fd[1], SHUT_WR), 0);
		EXPECT_EQ(weft_read(fd[0], &c, 1, soon()), 0);
		EXPECT_EQ(weft_write(fd[0], "x", 1, soon()), 1);
		EXPECT_EQ(weft_read(fd[1], &c, 1, soon()), 1);
		EXPECT_EQ(weft_write(fd[1], "y", 1, soon()), -EPIPE);
		EXPECT_EQ(shutdown(fd[1], SHUT_RD), 0);
		EXPECT_EQ(weft_read(fd[1], &c, 1, soon()), 0);
		close_pair(fd);
	}
}

/* A reader that waits is told of the end, not only one that comes later. */
TEST(the_end_of_a_stream_wakes_its_reader)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup wg = {0};
		int fd[2];

		stream_pair(kind, fd);
		struct reader rd = {fd[0], soon(), -1};

		EXPECT_EQ(weft_waitgroup_go(&wg, read_one, &rd), 0);
		let_run();
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(rd.r, 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
	}
}

/* SCENARIOS 221. */
TEST(a_read_of_no_bytes_returns_at_once)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		char c;
		int fd[2];

		stream_pair(kind, fd);
		EXPECT_EQ(weft_read(fd[0], &c, 0, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_readv(fd[0], NULL, 0, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_write(fd[1], &c, 0, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_writev(fd[1], NULL, 0, WEFT_FOREVER), 0);
		close_pair(fd);
	}
}

/* A wait for data of a goroutine whose scope is cancelled must end: nothing else could stop it. */
static int
read_in_scope(void *arg)
{
	struct reader *rd = arg;

	read_one(rd);
	return 0;
}

TEST(cancelling_a_scope_ends_its_reads_and_keeps_the_descriptor)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
		char c;
		int fd[2];

		stream_pair(kind, fd);
		/* The second waits for its turn, the first for data. */
		struct reader rd[2] = {{fd[0], soon(), 0}, {fd[0], soon(), 0}};

		EXPECT_EQ(weft_scope_go(s, read_in_scope, &rd[0]), 0);
		EXPECT_EQ(weft_scope_go(s, read_in_scope, &rd[1]), 0);
		let_run();
		weft_scope_cancel(s, -ECANCELED);
		weft_scope_free(s);
		EXPECT_EQ(rd[0].r, -ECANCELED);
		EXPECT_EQ(rd[1].r, -ECANCELED);
		EXPECT_EQ(weft_write(fd[1], "x", 1, soon()), 1);
		EXPECT_EQ(weft_read(fd[0], &c, 1, soon()), 1);
		close_pair(fd);
	}
}

/* SCENARIOS 207. Everything at once on one connection, until it is closed under them. */
static void
hammer(void *arg)
{
	int fd = *(int *)arg;
	char buf[512] = "";
	struct iovec v[2] = {{buf, 100}, {buf + 100, 100}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

	for (int i = 0; i < 100; i++) {
		(void)weft_read(fd, buf, sizeof(buf), WEFT_NOW);
		(void)weft_write(fd, buf, sizeof(buf), WEFT_NOW);
		(void)weft_readv(fd, v, 2, weft_in(1000));
		(void)weft_writev(fd, v, 2, weft_in(1000));
		(void)weft_recv(fd, buf, sizeof(buf), MSG_PEEK, weft_in(1000));
		(void)weft_send(fd, buf, sizeof(buf), 0, weft_in(1000));
		(void)weft_recvmsg(fd, &m, 0, WEFT_NOW);
		(void)weft_sendmsg(fd, &m, 0, WEFT_NOW);
		(void)weft_poll(fd, 1 /* POLLIN */, weft_in(1000));
		(void)weft_accept(fd, NULL, NULL, WEFT_NOW);
	}
}

TEST(all_calls_at_once_on_one_connection)
{
	weft_waitgroup wg = {0};
	int fd[2];

	stream_pair(TCP, fd);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, hammer, &fd[i % 2]), 0);
	let_run();
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(40 * SEC * test_scale())), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/* SCENARIOS 231, in small: many connections, many messages, both ways. */
struct talk {
	int fd;
	uint64_t seed;
};

static void
talk(void *arg)
{
	struct talk *t = arg;
	unsigned char out[300], in[300];

	for (uint64_t i = 0; i < 50; i++) {
		fill_pattern(out, sizeof(out), t->seed, i * sizeof(out));
		EXPECT_EQ(weft_write(t->fd, out, sizeof(out), soon()), sizeof(out));
		read_all(t->fd, in, sizeof(in));
		expect_pattern(in, sizeof(in), t->seed, i * sizeof(in));
	}
}

TEST(a_hundred_connections_talk_both_ways)
{
	uint64_t seed = test_seed();
	weft_waitgroup wg = {0};
	struct talk t[200];

	for (unsigned i = 0; i < 100; i++) {
		int fd[2];

		stream_pair(i % 2 == 0 ? TCP : UNIX_SOCKET, fd);
		t[2 * i] = (struct talk){fd[0], seed + i};
		t[2 * i + 1] = (struct talk){fd[1], seed + i};
	}
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, talk, &t[i]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(40 * SEC * test_scale())), 0);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(weft_close(t[i].fd), 0);
}

/* SCENARIOS 205. Both directions of one connection time out at the same moment; then it works. */
static void
write_until_late(void *arg)
{
	struct reader *wr = arg;
	static char zeros[1 << 16];

	do
		wr->r = weft_write(wr->fd, zeros, sizeof(zeros), wr->deadline);
	while (wr->r == sizeof(zeros));
}

TEST(both_directions_time_out_together_and_then_work)
{
	for (int kind = TCP; kind <= UNIX_BLOCKING; kind++) {
		weft_waitgroup wg = {0};
		int64_t end = weft_in(100 * MS);
		static char buf[1 << 16];
		size_t n = 0;
		ssize_t r;
		int fd[2];

		stream_pair(kind, fd);
		struct reader rd = {fd[1], end, 0}, wr = {fd[1], end, 0};

		EXPECT_EQ(weft_waitgroup_go(&wg, read_one, &rd), 0);
		EXPECT_EQ(weft_waitgroup_go(&wg, write_until_late, &wr), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT(weft_now() >= end);
		EXPECT_EQ(rd.r, -ETIMEDOUT);
		EXPECT(wr.r == -ETIMEDOUT || (wr.r > 0 && wr.r < (ssize_t)sizeof(buf)));
		while ((r = weft_read(fd[0], buf, sizeof(buf), weft_in(20 * MS))) > 0)
			n += (size_t)r;
		EXPECT_EQ(r, -ETIMEDOUT);
		EXPECT(n > 0);
		EXPECT_EQ(weft_write(fd[1], "x", 1, soon()), 1);
		EXPECT_EQ(weft_read(fd[0], buf, 1, soon()), 1);
		EXPECT_EQ(weft_write(fd[0], "y", 1, soon()), 1);
		EXPECT_EQ(weft_read(fd[1], buf, 1, soon()), 1);
		close_pair(fd);
	}
}

/*
 * SCENARIOS 217. Deadlines far away that come and go, each earlier than the last, of waits on few
 * connections: a timer heap that loses its order, or a timer that is left in it, shows here.
 */
struct far {
	int *fds;
	_Atomic int *got;
};

static void
read_with_far_deadlines(void *arg)
{
	struct far *f = arg;
	char c;

	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(weft_read(f->fds[i % 10], &c, 1, weft_in(3600 * SEC - i * SEC)), 1);
		++*f->got;
	}
}

TEST(far_deadlines_come_and_go_by_the_thousand)
{
	weft_waitgroup wg = {0};
	_Atomic int got = 0;
	int in[10], out[10];
	struct far f = {in, &got};

	for (int i = 0; i < 10; i++) {
		int fd[2];

		stream_pair(i % 2 == 0 ? TCP : PIPE, fd);
		in[i] = fd[0];
		out[i] = fd[1];
	}
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, read_with_far_deadlines, &f), 0);
	for (int i = 0; i < 800; i++) {
		EXPECT_EQ(weft_write(out[i % 10], "x", 1, soon()), 1);
		if (i % 50 == 0)
			weft_yield();
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(got, 800);
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(weft_close(in[i]), 0);
		EXPECT_EQ(weft_close(out[i]), 0);
	}
}

/* SCENARIOS 231. A server that allocates for each read is slow, and one that keeps it grows. */
TEST(reads_and_writes_allocate_nothing)
{
	weft_waitgroup wg = {0};
	struct mallinfo2 before, after;
	int fd[2];

	stream_pair(TCP, fd);
	EXPECT_EQ(weft_waitgroup_go(&wg, pong, &fd[0]), 0);
	for (uint64_t i = 0; i < 10000; i++) {
		uint64_t n = 2 * i;

		if (i == 1000)
			before = mallinfo2();
		EXPECT_EQ(weft_write(fd[1], &n, sizeof(n), soon()), sizeof(n));
		EXPECT_EQ(weft_read(fd[1], &n, sizeof(n), soon()), sizeof(n));
	}
	after = mallinfo2();
	/* A thread more may have been started meanwhile; 18,000 blocks are 288,000 bytes at least.
	 */
	EXPECT(after.uordblks < before.uordblks + 64000);
	EXPECT_EQ(after.hblks, before.hblks);
	EXPECT_EQ(weft_close(fd[1]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(weft_close(fd[0]), 0);
}
