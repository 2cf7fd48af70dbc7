/*
 * Files, many buffers, and large amounts.
 */
#include "io_util.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/uio.h>

static int
temp_file(size_t bytes, uint64_t seed)
{
	char path[] = "/tmp/weft_io_file_XXXXXX";
	unsigned char *buf = malloc(bytes + 1);
	int fd = mkstemp(path);

	EXPECT(fd >= 0);
	EXPECT_EQ(unlink(path), 0);
	fill_pattern(buf, bytes, seed, 0);
	EXPECT_EQ(weft_pwrite(fd, buf, bytes, 0, WEFT_NOW), bytes);
	free(buf);
	return fd;
}

TEST(offsets_are_read_and_written_without_moving)
{
	int fd = temp_file(100, 0), p[2];
	unsigned char buf[100];

	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(weft_pread(fd, buf, 50, 25, WEFT_NOW), 50);
	expect_pattern(buf, 50, 0, 25);
	EXPECT_EQ(weft_pread(fd, buf, 100, 90, WEFT_FOREVER), 10);
	EXPECT_EQ(weft_pread(fd, buf, 100, 100, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_pwrite(fd, "end", 3, 200, WEFT_FOREVER), 3);
	EXPECT_EQ(weft_pread(fd, buf, 100, 150, WEFT_FOREVER), 53);
	EXPECT_EQ(memcmp(buf + 50, "end", 3), 0);
	EXPECT_EQ(weft_pread(fd, buf, 1, -1, WEFT_FOREVER), -EINVAL);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(weft_close(fd), 0);
	stream_pair(PIPE, p);
	EXPECT_EQ(weft_pread(p[0], buf, 1, 0, WEFT_FOREVER), -ESPIPE);
	close_pair(p);
}

struct receiver {
	int fd;
	uint64_t seed;
	uint64_t from, n;
};

static void
receive_pattern(void *arg)
{
	struct receiver *rc = arg;
	unsigned char *buf = malloc(65536);
	uint64_t at = rc->from;
	ssize_t r;

	while ((r = weft_read(rc->fd, buf, 65536, soon())) > 0) {
		expect_pattern(buf, (size_t)r, rc->seed, at);
		at += (uint64_t)r;
	}
	EXPECT_EQ(r, 0);
	EXPECT_EQ(at - rc->from, rc->n);
	free(buf);
}

/*
 * SCENARIOS 237. What a file server does: whole, a part, beyond the end, at an offset; to
 * non-blocking and blocking sockets, and to a pipe.
 */
TEST(sendfile_sends_what_was_asked_for)
{
	static const struct {
		off_t off;
		size_t n, expected;
	} parts[] = {{0, 3000000, 3000000}, {0, 1000, 1000}, {12345, 100000, 100000},
	    {2999000, 5000, 1000}, {3000000, 10, 0}, {0, 0, 0}};
	int file = temp_file(3000000, 7);

	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			weft_waitgroup wg = {0};
			off_t off = parts[i].off;
			int fd[2];

			stream_pair(kind, fd);
			struct receiver rc = {fd[0], 7, (uint64_t)off, parts[i].expected};

			EXPECT_EQ(weft_waitgroup_go(&wg, receive_pattern, &rc), 0);
			EXPECT_EQ(weft_sendfile(fd[1], file, &off, parts[i].n, soon()),
			    parts[i].expected);
			EXPECT_EQ(off, parts[i].off + (off_t)parts[i].expected);
			EXPECT_EQ(weft_close(fd[1]), 0);
			EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
			EXPECT_EQ(weft_close(fd[0]), 0);
		}
	}
	EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
	EXPECT_EQ(weft_close(file), 0);
}

/* SCENARIOS 237. A reader that takes nothing, and one that goes in the middle. */
TEST(sendfile_stops_at_its_deadline_and_tells_how_far_it_got)
{
	int file = temp_file(8000000, 7);

	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		off_t off = 0;
		ssize_t r;
		int fd[2];

		stream_pair(kind, fd);
		r = weft_sendfile(fd[1], file, &off, 8000000, weft_in(20 * MS));
		EXPECT(r > 0 && r < 8000000);
		EXPECT_EQ(off, r);
		/* TCP goes on moving what is queued for a while, so that a little more may fit. */
		while ((r = weft_sendfile(fd[1], file, &off, 8000000, weft_in(5 * MS))) > 0)
			continue;
		EXPECT_EQ(r, -ETIMEDOUT);
		EXPECT_EQ(weft_close(fd[0]), 0);
		r = weft_sendfile(fd[1], file, &off, 1000, soon());
		EXPECT(r == -EPIPE || r == -ECONNRESET);
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
	EXPECT_EQ(weft_close(file), 0);
}

/* SCENARIOS 237. It needs a file: what is none, a pipe say, is an error, not silence. */
TEST(sendfile_of_what_is_no_file_fails)
{
	off_t off = 0;
	int fd[2], from[2], file = temp_file(100000, 7);

	stream_pair(TCP, fd);
	stream_pair(PIPE, from);
	EXPECT_EQ(weft_write(from[1], "x", 1, soon()), 1);
	EXPECT(weft_sendfile(fd[1], from[0], &off, 1, soon()) < 0);
	EXPECT_EQ(weft_sendfile(fd[1], 999, &off, 1, soon()), -EBADF);
	EXPECT_EQ(weft_sendfile(999, file, &off, 1, soon()), -EBADF);
	EXPECT_EQ(weft_sendfile(999, file, &off, 100000, soon()), -EBADF);
	EXPECT_EQ(weft_close(file), 0);
	EXPECT_EQ(off, 0);
	close_pair(fd);
	close_pair(from);
}

/*
 * SCENARIOS 238. More buffers than the kernel takes at a time, of all sizes, none too; the
 * caller's array must not be changed.
 */
TEST(many_buffers_are_written_and_read_in_order)
{
	uint64_t state = test_seed();
	enum { N = 3000 };

	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		struct iovec *v = calloc(N, sizeof(*v)), *copy = calloc(N, sizeof(*v));
		unsigned char *buf = malloc(N * 1000);
		weft_waitgroup wg = {0};
		size_t total = 0;
		int fd[2];

		for (int i = 0; i < N; i++) {
			size_t len = test_rand(&state) % 5 == 0 ? 0 : test_rand(&state) % 1000;

			v[i] = (struct iovec){buf + total, len};
			total += len;
		}
		fill_pattern(buf, total, 9, 0);
		memcpy(copy, v, N * sizeof(*v));
		stream_pair(kind, fd);
		struct receiver rc = {fd[0], 9, 0, total};

		EXPECT_EQ(weft_waitgroup_go(&wg, receive_pattern, &rc), 0);
		EXPECT_EQ(weft_writev(fd[1], v, N, soon()), total);
		EXPECT_EQ(memcmp(copy, v, N * sizeof(*v)), 0);
		EXPECT_EQ(weft_close(fd[1]), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		EXPECT_EQ(weft_close(fd[0]), 0);
		free(v);
		free(copy);
		free(buf);
	}
}

TEST(several_buffers_are_filled_one_after_the_other)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		char a[3], b[4];
		struct iovec v[3] = {{a, 3}, {NULL, 0}, {b, 4}};
		int fd[2];

		stream_pair(kind, fd);
		EXPECT_EQ(weft_readv(fd[0], v, 3, weft_in(1 * MS)), -ETIMEDOUT);
		EXPECT_EQ(weft_write(fd[1], "abcdef", 6, soon()), 6);
		EXPECT_EQ(weft_readv(fd[0], v, 3, soon()), 6);
		EXPECT_EQ(memcmp(a, "abc", 3), 0);
		EXPECT_EQ(memcmp(b, "def", 3), 0);
		close_pair(fd);
	}
}

/* SCENARIOS 238: an error in the middle. What went is told; the error comes with the next call. */
TEST(a_write_that_breaks_in_the_middle_tells_what_went)
{
	for (int kind = 0; kind < STREAM_KINDS; kind++) {
		static char big[1 << 23];
		struct iovec v[2] = {{big, 100}, {big, sizeof(big) - 100}};
		ssize_t r;
		int fd[2];

		stream_pair(kind, fd);
		r = weft_writev(fd[1], v, 2, weft_in(20 * MS));
		EXPECT(r > 0 && r < (ssize_t)sizeof(big));
		while (weft_write(fd[1], big, sizeof(big), weft_in(5 * MS)) > 0)
			continue;
		EXPECT_EQ(weft_close(fd[0]), 0);
		r = weft_write(fd[1], big, sizeof(big), soon());
		EXPECT(r == -EPIPE || r == -ECONNRESET);
		EXPECT_EQ(weft_write(fd[1], big, sizeof(big), soon()), -EPIPE);
		EXPECT_EQ(weft_close(fd[1]), 0);
	}
}

/*
 * SCENARIOS 232. More than one call can take (2 GiB - 4 KiB): the count must not be cut or
 * become negative. The memory is one page that is never touched.
 */
struct dropper {
	int fd;
	uint64_t n;
};

static void
drop_all(void *arg)
{
	struct dropper *d = arg;
	ssize_t r;

	/* MSG_TRUNC on TCP: away with it, without a copy. */
	while ((r = weft_recv(d->fd, NULL, 1 << 30, MSG_TRUNC, soon())) > 0)
		d->n += (uint64_t)r;
	EXPECT_EQ(r, 0);
}

TEST(a_write_of_more_than_two_gigabytes_completes)
{
	size_t n = (size_t)2200 << 20;
	weft_waitgroup wg = {0};
	void *zeros;
	int fd[2];

	if (test_scale() > 1)
		SKIP("too large under a sanitizer");
	zeros = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EXPECT(zeros != MAP_FAILED);
	stream_pair(TCP, fd);
	struct dropper d = {.fd = fd[0]};

	EXPECT_EQ(weft_waitgroup_go(&wg, drop_all, &d), 0);
	EXPECT_EQ(weft_write(fd[1], zeros, n, weft_in(40 * SEC)), n);
	EXPECT_EQ(weft_close(fd[1]), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(d.n, n);
	EXPECT_EQ(weft_close(fd[0]), 0);
}
