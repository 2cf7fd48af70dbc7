/*
 * weft_copy between descriptors of every kind, and what it tells when it cannot go on.
 * ctest: timeout=240
 */
#include "io_util.h"

#include "fds.h"
#include <sys/mman.h>
#include <sys/socket.h>

enum end_kind {
	END_FILE = STREAM_KINDS,
	END_APPEND, /* a file opened with O_APPEND: copy_file_range(2) and splice(2) refuse it */
	END_KINDS
};

static const char *
end_name(int kind)
{
	if (kind == END_FILE)
		return "file";
	return kind == END_APPEND ? "file, appending" : stream_names[kind];
}

static int
temp_file(int flags)
{
	char path[] = "/tmp/weft_io_copy_XXXXXX";
	int fd = mkstemp(path), again;

	EXPECT(fd >= 0);
	again = open(path, O_RDWR | O_CLOEXEC | flags);
	EXPECT(again >= 0);
	EXPECT_EQ(close(fd), 0);
	EXPECT_EQ(unlink(path), 0);
	return again;
}

#define SEED 11

/* Writes n bytes of the pattern into fd, then closes it if it is a stream. */
struct feeder {
	int fd;
	uint64_t n;
};

static void
feed(void *arg)
{
	struct feeder *f = arg;
	unsigned char *buf = malloc(200000);

	for (uint64_t at = 0; at < f->n;) {
		size_t len = f->n - at < 200000 ? (size_t)(f->n - at) : 200000;

		fill_pattern(buf, len, SEED, at);
		EXPECT_EQ(weft_write(f->fd, buf, len, soon()), len);
		at += len;
	}
	free(buf);
	EXPECT_EQ(weft_close(f->fd), 0);
}

/* Reads to the end and compares. */
struct taker {
	int fd;
	uint64_t n;
};

static void
take(void *arg)
{
	struct taker *t = arg;
	unsigned char *buf = malloc(100000);
	ssize_t r;

	while ((r = weft_read(t->fd, buf, 100000, soon())) > 0) {
		expect_pattern(buf, (size_t)r, SEED, t->n);
		t->n += (uint64_t)r;
	}
	EXPECT_EQ(r, 0);
	free(buf);
}

static int
source(int kind, uint64_t n, weft_waitgroup *wg, struct feeder *f)
{
	int fd[2];

	if (kind < STREAM_KINDS) {
		stream_pair(kind, fd);
		*f = (struct feeder){fd[1], n};
		EXPECT_EQ(weft_waitgroup_go(wg, feed, f), 0);
		return fd[0];
	}
	fd[0] = temp_file(kind == END_APPEND ? O_APPEND : 0);
	*f = (struct feeder){dup(fd[0]), n};
	feed(f);
	EXPECT_EQ(lseek(fd[0], 0, SEEK_SET), 0);
	return fd[0];
}

static void
copy_between(int from_kind, int to_kind, uint64_t n, size_t limit)
{
	uint64_t expected = limit < n ? limit : n;
	weft_waitgroup feeding = {0}, taking = {0};
	struct feeder f;
	struct taker t = {0};
	size_t copied = 1234567;
	int from = source(from_kind, n, &feeding, &f), to[2];
	ssize_t r;

	if (to_kind < STREAM_KINDS) {
		stream_pair(to_kind, to);
		t.fd = to[0];
		EXPECT_EQ(weft_waitgroup_go(&taking, take, &t), 0);
	} else {
		to[1] = temp_file(to_kind == END_APPEND ? O_APPEND : 0);
		t.fd = to[1];
	}
	r = weft_copy(to[1], from, limit, &copied, soon());
	if (r != (ssize_t)expected)
		FAIL("copy from %s to %s returned %zd", end_name(from_kind), end_name(to_kind), r);
	EXPECT_EQ(copied, expected);
	if (to_kind < STREAM_KINDS) {
		EXPECT_EQ(weft_close(to[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&taking, soon()), 0);
	} else {
		EXPECT_EQ(lseek(t.fd, 0, SEEK_SET), 0);
		take(&t);
	}
	EXPECT_EQ(t.n, expected);
	EXPECT_EQ(weft_close(t.fd), 0);
	/* What was not asked for is still there. */
	t = (struct taker){.fd = from, .n = expected};
	take(&t);
	EXPECT_EQ(t.n, n);
	EXPECT_EQ(weft_close(from), 0);
	EXPECT_EQ(weft_waitgroup_wait(&feeding, soon()), 0);
}

/* A proxy copies whatever it is given to whatever it is given. */
TEST(every_kind_is_copied_to_every_kind)
{
	uint64_t n = 1500000 / (uint64_t)test_scale();

	for (int from = 0; from < END_KINDS; from++)
		for (int to = 0; to < END_KINDS; to++)
			copy_between(from, to, n, SIZE_MAX);
}

/* A body of known length: not a byte more is taken, that would be of the next request. */
TEST(no_more_is_taken_than_was_asked_for)
{
	static const size_t limits[] = {0, 1, 65536, 200001};

	for (int from = 0; from < END_KINDS; from++)
		for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
			copy_between(from, from, 400000, limits[i]);
	copy_between(TCP, UNIX_SOCKET, 0, SIZE_MAX);
	copy_between(END_FILE, TCP, 0, SIZE_MAX);
	copy_between(END_FILE, END_FILE, 0, SIZE_MAX);
}

/* Files of /proc say that they are empty, and are not. */
TEST(files_of_unknown_length_are_copied)
{
	static const char *const paths[] = {"/proc/self/maps", "/proc/cpuinfo"};

	for (size_t i = 0; i < 2; i++) {
		int from = open(paths[i], O_RDONLY), to = temp_file(0), pair[2];
		char c;

		EXPECT(weft_copy(to, from, SIZE_MAX, NULL, soon()) > 100);
		EXPECT_EQ(lseek(from, 0, SEEK_SET), 0);
		stream_pair(TCP, pair);
		EXPECT(weft_copy(pair[1], from, 50, NULL, soon()) == 50);
		EXPECT_EQ(weft_read(pair[0], &c, 1, soon()), 1);
		close_pair(pair);
		EXPECT_EQ(weft_close(from), 0);
		EXPECT_EQ(weft_close(to), 0);
	}
}

/* A copy goes on where the file's offset is, and leaves it behind what it took. */
TEST(the_offsets_of_files_are_used_and_moved)
{
	int from = temp_file(0), to = temp_file(0);
	struct feeder f = {dup(from), 1000};
	unsigned char buf[1000];

	feed(&f);
	EXPECT_EQ(lseek(from, 100, SEEK_SET), 100);
	EXPECT_EQ(lseek(to, 7, SEEK_SET), 7);
	EXPECT_EQ(weft_copy(to, from, 200, NULL, soon()), 200);
	EXPECT_EQ(lseek(from, 0, SEEK_CUR), 300);
	EXPECT_EQ(lseek(to, 0, SEEK_CUR), 207);
	EXPECT_EQ(weft_pread(to, buf, 200, 7, soon()), 200);
	expect_pattern(buf, 200, SEED, 100);
	EXPECT_EQ(weft_close(from), 0);
	EXPECT_EQ(weft_close(to), 0);
}

/*
 * The client is slow and the deadline comes: what it got is told exactly, by whatever way the bytes
 * went.
 */
TEST(a_copy_that_is_cut_off_tells_how_far_it_got)
{
	static const int sources[] = {TCP, PIPE, UNIX_BLOCKING, END_FILE};

	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		for (int kind = 0; kind < STREAM_KINDS; kind++) {
			weft_waitgroup feeding = {0}, taking = {0};
			struct feeder f;
			struct taker t = {0};
			size_t copied = 0;
			int from, to[2], room = 100000;
			int64_t end, r;

			from = source(sources[i], 6000000, &feeding, &f);
			stream_pair(kind, to);
			/* TCP's buffers would grow to take it all. Fails on pipes. */
			(void)setsockopt(to[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
			(void)setsockopt(to[0], SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
			while (copied == 0) {	/* on a slow machine not at the first try */
				end = weft_in(50 * MS);
				r = weft_copy(to[1], from, SIZE_MAX, &copied, end);
				EXPECT_EQ(r, -ETIMEDOUT);
				EXPECT(weft_now() >= end);
			}
			EXPECT(copied < 6000000);
			t.fd = to[0];
			EXPECT_EQ(weft_waitgroup_go(&taking, take, &t), 0);
			EXPECT_EQ(weft_close(to[1]), 0);
			EXPECT_EQ(weft_waitgroup_wait(&taking, soon()), 0);
			EXPECT_EQ(t.n, copied);
			EXPECT_EQ(weft_close(to[0]), 0);
			/* The feeder finishes. */
			EXPECT(weft_copy(from, from, 0, NULL, soon()) == 0);
			to[1] = open("/dev/null", O_WRONLY);
			EXPECT(weft_copy(to[1], from, SIZE_MAX, NULL, soon()) > 0);
			EXPECT_EQ(weft_waitgroup_wait(&feeding, soon()), 0);
			EXPECT_EQ(weft_close(to[1]), 0);
			EXPECT_EQ(weft_close(from), 0);
		}
	}
}

/* Nothing comes: the deadline is that of the reads as well. */
TEST(a_copy_of_nothing_ends_at_its_deadline)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		int from[2], to[2];
		size_t copied = 9;

		stream_pair(kind, from);
		stream_pair(TCP, to);
		EXPECT_EQ(weft_copy(to[1], from[0], 10, &copied, weft_in(10 * MS)), -ETIMEDOUT);
		EXPECT_EQ(copied, 0);
		EXPECT_EQ(weft_copy(to[1], from[0], 10, NULL, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_write(from[1], "abc", 3, soon()), 3);
		EXPECT_EQ(weft_copy(to[1], from[0], 10, &copied, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(copied, 3);
		EXPECT_EQ(weft_copy(to[1], 999, 10, NULL, soon()), -EBADF);
		EXPECT_EQ(weft_copy(999, from[0], 10, NULL, soon()), -EBADF);
		close_pair(from);
		close_pair(to);
	}
}

/* The reader of the copy is gone: an error of the call, never a signal. */
TEST(a_copy_to_nobody_says_so)
{
	for (int from_kind = 0; from_kind <= END_FILE; from_kind++) {
		for (int kind = 0; kind < STREAM_KINDS; kind++) {
			weft_waitgroup feeding = {0};
			struct feeder f;
			int from = source(from_kind, 3000000, &feeding, &f), to[2], null;
			ssize_t r;

			stream_pair(kind, to);
			EXPECT_EQ(weft_close(to[0]), 0);
			r = weft_copy(to[1], from, SIZE_MAX, NULL, soon());
			if (r != -EPIPE && r != -ECONNRESET)
				FAIL("copy from %s to a closed %s returned %zd",
				    end_name(from_kind), end_name(kind), r);
			EXPECT_EQ(weft_close(to[1]), 0);
			null = open("/dev/null", O_WRONLY);
			EXPECT(weft_copy(null, from, SIZE_MAX, NULL, soon()) >= 0);
			EXPECT_EQ(weft_waitgroup_wait(&feeding, soon()), 0);
			EXPECT_EQ(weft_close(null), 0);
			EXPECT_EQ(weft_close(from), 0);
		}
	}
}

/* What never waits ends at its deadline all the same, and with its scope. */
static int
copy_zeros(void *arg)
{
	int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
	size_t copied = 0;
	int64_t *deadline = arg;
	ssize_t r = weft_copy(null, zero, SIZE_MAX, &copied, *deadline);

	EXPECT(copied > 0);
	EXPECT_EQ(weft_close(zero), 0);
	EXPECT_EQ(weft_close(null), 0);
	return (int)r;
}

TEST(a_copy_without_end_is_ended)
{
	int64_t deadline = weft_in(20 * MS), now = WEFT_NOW, never = WEFT_FOREVER;
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	EXPECT_EQ(copy_zeros(&deadline), -ETIMEDOUT);
	EXPECT(weft_now() >= deadline);
	EXPECT_EQ(copy_zeros(&now), -ETIMEDOUT);
	EXPECT_EQ(weft_scope_go(s, copy_zeros, &never), 0);
	weft_sleep(10 * MS);
	weft_scope_cancel(s, 0);
	EXPECT_EQ(weft_scope_wait(s, soon()), -ECANCELED);
	weft_scope_free(s);
}

/* Either side may be closed by another goroutine while a copy waits for the other. */
struct copying {
	int to, from;
	ssize_t r;
};

static void
copy_it(void *arg)
{
	struct copying *c = arg;

	c->r = weft_copy(c->to, c->from, SIZE_MAX, NULL, WEFT_FOREVER);
}

TEST(closing_either_side_ends_a_copy)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		weft_waitgroup wg = {0};
		int from[2], to[2], file = temp_file(0);
		struct copying c;

		stream_pair(kind, from);
		stream_pair(kind, to);
		c = (struct copying){.to = to[1], .from = from[0]};
		EXPECT_EQ(weft_waitgroup_go(&wg, copy_it, &c), 0);
		let_run();
		EXPECT_EQ(weft_close(from[0]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(c.r, -EBADF);
		EXPECT_EQ(weft_close(from[1]), 0);
		/* A file to a stream that is full: neither close waits for the stream's reader. */
		EXPECT_EQ(ftruncate(file, 30000000), 0);
		c = (struct copying){.to = to[1], .from = file};
		EXPECT_EQ(weft_waitgroup_go(&wg, copy_it, &c), 0);
		let_run();
		EXPECT_EQ(weft_close(file), 0);
		EXPECT_EQ(weft_close(to[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(c.r, -EBADF);
		EXPECT_EQ(weft_close(to[0]), 0);
	}
}

/* Without a descriptor left for a pipe of its own it goes by the buffer; it leaves none open. */
TEST(a_copy_needs_no_descriptors_and_leaves_none)
{
	int fds[1024], n = 0, before = open_fds();

	copy_between(TCP, TCP, 1000000, SIZE_MAX);
	expect_open(before);

	weft_waitgroup feeding = {0}, taking = {0};
	struct feeder f;
	struct taker t = {0};
	int from = source(TCP, 2000000, &feeding, &f), to[2];

	stream_pair(TCP, to);
	t.fd = to[0];
	EXPECT_EQ(weft_waitgroup_go(&taking, take, &t), 0);
	while (n < 1024 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	EXPECT_EQ(weft_copy(to[1], from, SIZE_MAX, NULL, soon()), 2000000);
	while (n > 0)
		EXPECT_EQ(close(fds[--n]), 0);
	EXPECT_EQ(weft_close(to[1]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&taking, soon()), 0);
	EXPECT_EQ(t.n, 2000000);
	EXPECT_EQ(weft_close(to[0]), 0);
	EXPECT_EQ(weft_close(from), 0);
	EXPECT_EQ(weft_waitgroup_wait(&feeding, soon()), 0);
}

/* SCENARIOS 232. More than one system call moves, by each way: the counts must not be cut. */
static void
drop_all(void *arg)
{
	struct taker *t = arg;
	ssize_t r;

	/* MSG_TRUNC on TCP: away with it, without a copy. */
	while ((r = weft_recv(t->fd, NULL, 1 << 30, MSG_TRUNC, weft_in(200 * SEC))) > 0)
		t->n += (uint64_t)r;
	EXPECT_EQ(r, 0);
}

TEST(more_than_two_gigabytes_are_copied)
{
	size_t n = (size_t)2200 << 20;
	weft_waitgroup wg = {0};
	struct taker t = {0};
	int file = temp_file(0), to[2];

	if (test_scale() > 1)
		SKIP("too large under a sanitizer");
	EXPECT_EQ(ftruncate(file, (off_t)n + 5), 0);
	stream_pair(TCP, to);
	t.fd = to[0];
	EXPECT_EQ(weft_waitgroup_go(&wg, drop_all, &t), 0);
	EXPECT_EQ(weft_copy(to[1], file, n, NULL, weft_in(200 * SEC)), n);
	EXPECT_EQ(lseek(file, 0, SEEK_CUR), n);
	EXPECT_EQ(weft_close(to[1]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(200 * SEC)), 0);
	EXPECT_EQ(t.n, n);
	EXPECT_EQ(weft_close(to[0]), 0);
	EXPECT_EQ(weft_close(file), 0);
}
