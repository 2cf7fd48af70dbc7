/*
 * Descriptors and epoll(7) of the simulated machine: the real kernel's, asked without waiting. What
 * both ends of a pipe or a Unix socket do in one process happens at once and in order, so it is the
 * same in each run; the waiting, the order and the faults are ours. README.md, "Descriptors".
 */
#define _GNU_SOURCE
#include "world.h"

#include "real.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FDS 65536
#define PARTS_MAX 64

/* How a descriptor was registered, to be told again. */
static struct registration {
	int epfd;
	uint32_t events;	/* 0: it is not */
	uint64_t data;
} registered[FDS];

/* ---- Waiting ---- */

bool
wf_sim_look_at_fds(void)
{
	bool found = false;

	for (uint32_t i = 0; i < wf_sim.n_all; i++) {
		struct sim_thread *t = wf_sim.all[i];
		int r;

		if (t->state != SIM_BLOCKED || t->fd < 0)
			continue;
		r = wf_real_poll_wait(t->fd, t->events, 0);
		if (r != 0) {
			wf_sim_wake(t, r);
			found = true;
		}
	}
	return wf_sim_ring_look() || found;
}

/* As poll(2): revents, -ETIMEDOUT, -errno. */
static int
await(int fd, short events, int64_t deadline)
{
	int r = wf_real_poll_wait(fd, events, 0);

	if (r != 0)
		return r;
	if (deadline <= wf_sim.now)
		return -ETIMEDOUT;
	wf_sim.current->fd = fd;
	wf_sim.current->events = events;
	return wf_sim_block(SIM_BLOCKED, deadline);
}

/* A call on fd begins. What would block the real thread blocks the simulated one. */
static void
enter(int fd, short events)
{
	wf_sim_call();
	if (wf_os_is_nonblock(fd) == 0 && wf_os_file_type(fd) != WF_OS_FILE_DISK)
		while (await(fd, events, INT64_MAX) == 0)
			continue;
}

int
wf_os_poll_wait(int fd, short events, int timeout_ms)
{
	int r;

	if (!wf_sim_is_on())
		return wf_real_poll_wait(fd, events, timeout_ms);
	wf_sim_call();
	r = await(fd, events,
	    timeout_ms < 0 ? INT64_MAX : wf_sim.now + (int64_t)timeout_ms * 1000000);
	return r == -ETIMEDOUT ? 0 : r;
}

/* ---- Faults ---- */

/* A stream, of which a part may be had. An eventfd(2) takes and gives eight bytes or none. */
static bool
can_part(int fd, size_t n)
{
	int type;

	if (n <= 8)
		return false;
	if (wf_os_getsockopt_int(fd, SOL_SOCKET, SO_TYPE, &type) == 0)
		return type == SOCK_STREAM;
	return wf_os_file_type(fd) == WF_OS_FILE_STREAM;
}

/* How much of n bytes is asked of the kernel. */
static size_t
part(int fd, size_t n)
{
	if (!can_part(fd, n) || !wf_sim_fault(WEFT_SIM_PARTIAL, 4))
		return n;
	return 1 + wf_sim_below((uint32_t)(n < UINT32_MAX ? n : UINT32_MAX));
}

/* Is the call refused although the descriptor is ready? Then epoll tells of it once more. */
static bool
refused(int fd, size_t n)
{
	const struct registration *r;

	if (fd < 0 || fd >= FDS || n <= 8 || wf_os_is_nonblock(fd) != 1 ||
	    !wf_sim_fault(WEFT_SIM_PARTIAL, 16))
		return false;
	r = &registered[fd];
	if (r->events == 0 || wf_real_epoll_ctl(r->epfd, EPOLL_CTL_MOD, fd, r->events, r->data) < 0)
		return false;
	return true;
}

static size_t
total(const struct iovec *v, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += v[i].iov_len;
	return sum;
}

/* The first bytes of v, as v has: how many entries. */
static int
cut(struct iovec *ret, const struct iovec *v, int n, size_t bytes)
{
	int i = 0;

	for (; i < n && i < PARTS_MAX && bytes > 0; i++) {
		ret[i] = v[i];
		if (ret[i].iov_len > bytes)
			ret[i].iov_len = bytes;
		bytes -= ret[i].iov_len;
	}
	return i;
}

/* A call on n bytes of one buffer. */
#define SIMPLE(call_events, real_call) \
	do { \
		enter(fd, (call_events)); \
		if (refused(fd, n)) \
			return -EAGAIN; \
		n = part(fd, n); \
		return (real_call); \
	} while (0)

ssize_t
wf_os_read(int fd, void *buf, size_t n)
{
	if (!wf_sim_is_on())
		return wf_real_read(fd, buf, n);
	SIMPLE(POLLIN, wf_real_read(fd, buf, n));
}

ssize_t
wf_os_write(int fd, const void *buf, size_t n)
{
	if (!wf_sim_is_on() || fd == 2)
		return wf_real_write(fd, buf, n);
	SIMPLE(POLLOUT, wf_real_write(fd, buf, n));
}

ssize_t
wf_os_recv(int fd, void *buf, size_t n, int flags)
{
	if (!wf_sim_is_on())
		return wf_real_recv(fd, buf, n, flags);
	SIMPLE(POLLIN, wf_real_recv(fd, buf, n, flags));
}

ssize_t
wf_os_send(int fd, const void *buf, size_t n, int flags)
{
	if (!wf_sim_is_on())
		return wf_real_send(fd, buf, n, flags);
	SIMPLE(POLLOUT, wf_real_send(fd, buf, n, flags));
}

/* The same on buffers in a row. */
static ssize_t
vector(int fd, const struct iovec *v, int n, short events,
    ssize_t (*call)(int, const struct iovec *, int))
{
	struct iovec some[PARTS_MAX];
	size_t bytes = total(v, n), less;

	if (events != 0)
		enter(fd, events);
	else
		wf_sim_call();	/* does not wait, whatever the descriptor says */
	if (refused(fd, bytes))
		return -EAGAIN;
	less = part(fd, bytes);
	if (less == bytes)
		return call(fd, v, n);
	n = cut(some, v, n, less);
	return call(fd, some, n);
}

ssize_t
wf_os_readv(int fd, const struct iovec *v, int n)
{
	return wf_sim_is_on() ? vector(fd, v, n, POLLIN, wf_real_readv) : wf_real_readv(fd, v, n);
}

ssize_t
wf_os_writev_quiet(int fd, const struct iovec *v, int n)
{
	return wf_sim_is_on() ? vector(fd, v, n, POLLOUT, wf_real_writev_quiet)
	                      : wf_real_writev_quiet(fd, v, n);
}

ssize_t
wf_os_readv_nowait(int fd, const struct iovec *v, int n)
{
	return wf_sim_is_on() ? vector(fd, v, n, 0, wf_real_readv_nowait)
	                      : wf_real_readv_nowait(fd, v, n);
}

ssize_t
wf_os_writev_nowait(int fd, const struct iovec *v, int n)
{
	return wf_sim_is_on() ? vector(fd, v, n, 0, wf_real_writev_nowait)
	                      : wf_real_writev_nowait(fd, v, n);
}

/* ---- Files: a part of them is in memory ---- */

static ssize_t
at(int fd, const struct iovec *v, int n, off_t off,
    ssize_t (*call)(int, const struct iovec *, int, off_t))
{
	wf_sim_call();
	return call(fd, v, n, off);
}

/* Some file systems can't say; else it is there, or is not. */
static ssize_t
at_once(int fd, const struct iovec *v, int n, off_t off,
    ssize_t (*call)(int, const struct iovec *, int, off_t))
{
	wf_sim_call();
	if (wf_sim.file_system_is_old)
		return -EOPNOTSUPP;
	return wf_sim_below(2) == 0 ? -EAGAIN : call(fd, v, n, off);
}

ssize_t
wf_os_preadv(int fd, const struct iovec *v, int n, off_t off)
{
	return wf_sim_is_on() ? at(fd, v, n, off, wf_real_preadv) : wf_real_preadv(fd, v, n, off);
}

ssize_t
wf_os_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	return wf_sim_is_on() ? at(fd, v, n, off, wf_real_pwritev) : wf_real_pwritev(fd, v, n, off);
}

ssize_t
wf_os_preadv_nowait(int fd, const struct iovec *v, int n, off_t off)
{
	return wf_sim_is_on() ? at_once(fd, v, n, off, wf_real_preadv)
	                      : wf_real_preadv_nowait(fd, v, n, off);
}

ssize_t
wf_os_pwritev_nowait(int fd, const struct iovec *v, int n, off_t off)
{
	return wf_sim_is_on() ? at_once(fd, v, n, off, wf_real_pwritev)
	                      : wf_real_pwritev_nowait(fd, v, n, off);
}

int
wf_os_close(int fd)
{
	if (wf_sim_is_on()) {
		wf_sim_call();
		wf_sim_ring_closes(fd);
		if (fd >= 0 && fd < FDS)
			registered[fd].events = 0;
	}
	return wf_real_close(fd);
}

/* ---- New descriptors ---- */

int
wf_os_pipe(int ret[2])
{
	return wf_sim_refuses() ? -EMFILE : wf_real_pipe(ret);
}

int
wf_os_dup(int fd)
{
	return wf_sim_refuses() ? -EMFILE : wf_real_dup(fd);
}

int
wf_os_open(const char *path, int flags, mode_t mode)
{
	return wf_sim_refuses() ? -EMFILE : wf_real_open(path, flags, mode);
}

int
wf_os_eventfd(void)
{
	return wf_sim_refuses() ? -EMFILE : wf_real_eventfd();
}

int
wf_os_epoll_create(void)
{
	return wf_sim_refuses() ? -EMFILE : wf_real_epoll_create();
}

/* ---- epoll ---- */

int
wf_os_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	int r;

	if (wf_sim_is_on())
		wf_sim_call();
	if (op == EPOLL_CTL_ADD && wf_sim_refuses())
		return -ENOMEM;
	r = wf_real_epoll_ctl(epfd, op, fd, events, data);
	if (wf_sim_is_on() && r == 0 && fd < FDS)
		registered[fd] = (struct registration){
		    .epfd = epfd, .events = op == EPOLL_CTL_DEL ? 0 : events, .data = data};
	return r;
}

int
wf_os_epoll_wait(int epfd, struct epoll_event *ev, int n, int64_t timeout_ns)
{
	int64_t deadline;
	int r;

	if (!wf_sim_is_on())
		return wf_real_epoll_wait(epfd, ev, n, timeout_ns);
	wf_sim_call();
	deadline = timeout_ns < 0 || timeout_ns > INT64_MAX - wf_sim.now ? INT64_MAX
	                                                                  : wf_sim.now + timeout_ns;
	if (timeout_ns != 0 && wf_sim_fault(WEFT_SIM_SPURIOUS, 8))
		return -EINTR;
	/* Now and then not all that is ready is told at once. */
	if (wf_sim_below(4) == 0)
		n = 1 + (int)wf_sim_below((uint32_t)n);
	for (;;) {
		r = wf_real_epoll_wait(epfd, ev, n, 0);
		if (r != 0 || timeout_ns == 0)
			break;
		r = await(epfd, POLLIN, deadline);
		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0)
			return r;
	}
	if (r > 0)
		wf_sim_note((uint64_t)r);
	return r;
}
