/*
 * Calls on descriptors of any kind. Each converts errno on the spot and tries again after a
 * signal, so that -EINTR is never seen above.
 *
 * SIGPIPE. A write to a pipe without readers raises it in the writing thread, and a library
 * may neither die of it nor change what the program does with the signal. Linux 6.18 has a
 * flag for such a write. Before that, the signal is blocked around the call in this thread
 * alone, and one that the call raised is taken off again (quiet_begin, quiet_end): three
 * system calls for one, but nobody else can see it. Setting the handler, or SIG_IGN, would be
 * cheaper and is visible to the whole program and to the programs it starts.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "base/atomic.h"
#include "base/race.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif
#define WRITE_NOSIGNAL 0x00000100	/* RWF_NOSIGNAL, Linux 6.18; not in glibc 2.36's headers */

/* Makes the call until no signal comes between; a negative errno if it failed. */
#define RETRY(ret, call) \
	do { \
		while (((ret) = (call)) < 0 && errno == EINTR) \
			continue; \
		if ((ret) < 0) \
			(ret) = -errno; \
	} while (0)

char wf_race_bytes;

/* The same for calls that ThreadSanitizer does not know. */
#define RETRY_SENDS(ret, call) \
	do { \
		wf_race_release(&wf_race_bytes); \
		RETRY(ret, call); \
	} while (0)
#define RETRY_RECEIVES(ret, call) \
	do { \
		RETRY(ret, call); \
		wf_race_acquire(&wf_race_bytes); \
	} while (0)

ssize_t
wf_os_read(int fd, void *buf, size_t n)
{
	ssize_t r;

	RETRY(r, read(fd, buf, n));
	return r;
}

ssize_t
wf_os_write(int fd, const void *buf, size_t n)
{
	ssize_t r;

	RETRY(r, write(fd, buf, n));
	return r;
}

ssize_t
wf_os_readv(int fd, const struct iovec *v, int n)
{
	ssize_t r;

	RETRY(r, readv(fd, v, n));
	return r;
}

ssize_t
wf_os_readv_nowait(int fd, const struct iovec *v, int n)
{
	ssize_t r;

	RETRY_RECEIVES(r, preadv2(fd, v, n, -1, RWF_NOWAIT));
	return r == -ENOSYS ? -EOPNOTSUPP : r;
}

/* The state of SIGPIPE in this thread before a call that may raise it. */
struct quiet {
	sigset_t pipe;		/* SIGPIPE only */
	sigset_t old;
	bool was_blocked;
	bool was_pending;	/* only looked at if it was blocked; else it can't be ours */
};

static void
quiet_begin(struct quiet *q)
{
	sigset_t pending;

	sigemptyset(&q->pipe);
	sigaddset(&q->pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &q->pipe, &q->old);
	q->was_blocked = sigismember(&q->old, SIGPIPE) == 1;
	q->was_pending = false;
	if (q->was_blocked && sigpending(&pending) == 0)
		q->was_pending = sigismember(&pending, SIGPIPE) == 1;
}

static void
quiet_end(const struct quiet *q, bool raised)
{
	static const struct timespec no_wait;

	/* The thread's own pending signals come before the process's: it is ours we take. */
	if (raised && !q->was_pending)
		while (sigtimedwait(&q->pipe, NULL, &no_wait) < 0 && errno == EINTR)
			continue;
	if (!q->was_blocked)
		(void)pthread_sigmask(SIG_SETMASK, &q->old, NULL);
}

/* Does this kernel know WRITE_NOSIGNAL? Asked with a pipe of our own: a file that lacks
 * pwritev2(2) altogether gives the same error as an unknown flag. */
static bool
has_nosignal(void)
{
	static _Atomic int8_t known;	/* 0 not asked, 1 yes, -1 no: the same for all who ask */
	int8_t k = wf_load_relaxed(&known);
	struct iovec v = {.iov_base = &k, .iov_len = 1};
	int ends[2];

	if (k == 0) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return false;
		k = pwritev2(ends[1], &v, 1, -1, WRITE_NOSIGNAL) == 1 ? 1 : -1;
		(void)close(ends[0]);
		(void)close(ends[1]);
		wf_store_relaxed(&known, k);
	}
	return k > 0;
}

static ssize_t
writev_masked(int fd, const struct iovec *v, int n, int flags)
{
	struct quiet q;
	size_t total = 0;
	ssize_t r;

	for (int i = 0; i < n; i++)
		total += v[i].iov_len;
	quiet_begin(&q);
	if (flags == 0)
		RETRY(r, writev(fd, v, n));
	else
		RETRY_SENDS(r, pwritev2(fd, v, n, -1, flags));
	/* The reader may have left in the middle: then it is raised, and what went is returned. */
	quiet_end(&q, r == -EPIPE || (r >= 0 && (size_t)r < total));
	return r;
}

ssize_t
wf_os_writev_quiet(int fd, const struct iovec *v, int n)
{
	ssize_t r;

	if (has_nosignal()) {
		RETRY_SENDS(r, pwritev2(fd, v, n, -1, WRITE_NOSIGNAL));
		if (r != -EOPNOTSUPP)
			return r;
	}
	return writev_masked(fd, v, n, 0);
}

ssize_t
wf_os_writev_nowait(int fd, const struct iovec *v, int n)
{
	ssize_t r;

	if (has_nosignal()) {
		RETRY_SENDS(r, pwritev2(fd, v, n, -1, RWF_NOWAIT | WRITE_NOSIGNAL));
		return r;
	}
	r = writev_masked(fd, v, n, RWF_NOWAIT);
	return r == -ENOSYS ? -EOPNOTSUPP : r;
}

ssize_t
wf_os_preadv(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t r;

	RETRY(r, off < 0 ? readv(fd, v, n) : preadv(fd, v, n, off));
	return r;
}

ssize_t
wf_os_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t r;

	RETRY(r, off < 0 ? writev(fd, v, n) : pwritev(fd, v, n, off));
	return r;
}

ssize_t
wf_os_preadv_nowait(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t r;

	RETRY_RECEIVES(r, preadv2(fd, v, n, off, RWF_NOWAIT));
	return r == -ENOSYS ? -EOPNOTSUPP : r;
}

ssize_t
wf_os_pwritev_nowait(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t r;

	RETRY_SENDS(r, pwritev2(fd, v, n, off, RWF_NOWAIT));
	return r == -ENOSYS ? -EOPNOTSUPP : r;
}

ssize_t
wf_os_sendfile(int out_fd, int in_fd, off_t *off, size_t n)
{
	struct quiet q;
	ssize_t r;

	/* There is no flag for this call on any kernel. */
	quiet_begin(&q);
	RETRY_SENDS(r, sendfile(out_fd, in_fd, off, n));
	/* It moves pieces: one may have gone and the next have raised the signal, uncounted. */
	quiet_end(&q, r == -EPIPE || (r >= 0 && (size_t)r < n));
	return r;
}

ssize_t
wf_os_copy_file_range(int in_fd, int out_fd, size_t n)
{
	ssize_t r;

	RETRY_SENDS(r, copy_file_range(in_fd, NULL, out_fd, NULL, n, 0));
	return r;
}

ssize_t
wf_os_splice(int in_fd, int out_fd, size_t n)
{
	ssize_t r;

	RETRY_SENDS(r, splice(in_fd, NULL, out_fd, NULL, n, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
	wf_race_acquire(&wf_race_bytes);
	return r;
}

ssize_t
wf_os_splice_quiet(int in_fd, int out_fd, size_t n)
{
	struct quiet q;
	ssize_t r;

	quiet_begin(&q);
	r = wf_os_splice(in_fd, out_fd, n);
	quiet_end(&q, r == -EPIPE || (r >= 0 && (size_t)r < n));
	return r;
}

int
wf_os_pipe(int ret[2])
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		ends[i] = wf_os_above_stdio(ends[i]);
	for (int i = 0; i < 2; i++) {
		if (ends[i] < 0) {
			if (ends[!i] >= 0)
				(void)close(ends[!i]);
			return ends[i];
		}
	}
	ret[0] = ends[0];
	ret[1] = ends[1];
	return 0;
}

int
wf_os_pipe_size(int fd, int bytes)
{
	int r = fcntl(fd, F_SETPIPE_SZ, bytes);

	return r < 0 ? -errno : r;
}

int
wf_os_dup(int fd)
{
	int r = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	return r >= 0 ? r : -errno;
}

int
wf_os_close(int fd)
{
	/* Linux has given the number back even when it reports a signal: never again. */
	if (close(fd) == 0 || errno == EINTR)
		return 0;
	return -errno;
}

int
wf_os_above_stdio(int fd)
{
	int r;

	if (fd > STDERR_FILENO)
		return fd;
	r = wf_os_dup(fd);
	(void)close(fd);
	return r;
}

int
wf_os_is_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	return (flags & O_NONBLOCK) != 0;
}

int
wf_os_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

static int
poll_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t end = timeout_ms > 0 ? wf_os_now() + timeout_ms * INT64_C(1000000) : 0, left;
	int r;

	/* Signals that come again and again do not make it longer. */
	while ((r = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR) {
		if (timeout_ms <= 0)
			continue;
		left = end - wf_os_now();
		timeout_ms = left > 0 ? (int)((left + 999999) / 1000000) : 0;
	}
	if (r <= 0)
		return r < 0 ? -errno : 0;
	return p.revents & POLLNVAL ? -EBADF : p.revents;
}

int
wf_os_poll_now(int fd, short events)
{
	return poll_for(fd, events, 0);
}

int
wf_os_poll_wait(int fd, short events, int timeout_ms)
{
	return poll_for(fd, events, timeout_ms);
}

int
wf_os_file_type(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	switch (st.st_mode & S_IFMT) {
	case S_IFSOCK:
		return WF_OS_FILE_SOCKET;
	case S_IFREG:
	case S_IFDIR:
	case S_IFBLK:
		return WF_OS_FILE_DISK;
	default:
		return WF_OS_FILE_STREAM;
	}
}

int
wf_os_socket_id(int fd, uint64_t *ret_id)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_id = S_ISSOCK(st.st_mode) ? (uint64_t)st.st_ino : 0;
	return 0;
}
