/*
 * weft_write and weft_writev: all of it, however often the descriptor fills up, and nobody
 * else's bytes between ours (turns: poll/README.md).
 */
#include "io/io.h"

#include "io/disk.h"
#include "io/how.h"
#include "os/os.h"
#include "sched/self.h"

#include <errno.h>
#include <poll.h>

#define WINDOW 64		/* buffers copied when the first is partly written: 1 KB */
#define POLLED_MAX 4096		/* PIPE_BUF: does not block when poll(2) says POLLOUT */

static ssize_t
write_socket(int fd, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iovlen = (size_t)n};

	if (wf_likely(n == 1))
		return wf_os_send(fd, v->iov_base, v->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	m.msg_iov = (struct iovec *)(uintptr_t)v;	/* only read */
	return wf_os_sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t
write_blocking(int fd, const struct iovec *v, int n)
{
	ssize_t r;

	wf_blocking_begin();
	r = wf_os_writev_quiet(fd, v, n);
	wf_blocking_end();
	return r;
}

/*
 * No way to ask without waiting but to look first, and then to write little. Apart, like
 * write_rest(): others need not have room for a window on their stacks.
 */
static WF_NOINLINE ssize_t
write_polled(const struct io_write *w, int fd, const struct iovec *v, int n)
{
	struct iovec window[WINDOW];
	int r = wf_os_is_nonblock(fd);

	if (r > 0)
		return wf_os_writev_quiet(fd, v, n);
	if (r == 0)
		r = wf_os_poll_now(fd, POLLOUT);
	if (r <= 0)
		return r == 0 ? -EAGAIN : r;
	return write_blocking(fd, window, wf_io_window(&w->at, window, POLLED_MAX, WINDOW));
}

/* Writes something of the n buffers at v, which are where w->at is. */
static ssize_t
write_buffers(const struct io_write *w, struct pd *pd, const struct iovec *v, int n)
{
	int fd = pd_number(pd);
	ssize_t r;

	for (;;) {
		int how = wf_io_how(pd, PD_WRITE);

		switch (how) {
		case PD_HOW_SOCKET:
		case PD_HOW_TCP:
			r = write_socket(fd, v, n);
			if (wf_likely(r != -ENOTSOCK))
				return r;
			break;
		case PD_HOW_NOWAIT:
			r = wf_os_writev_nowait(fd, v, n);
			if (wf_likely(r != -EOPNOTSUPP))
				return r;
			break;
		case PD_HOW_POLL:
			return write_polled(w, fd, v, n);
		case PD_HOW_FILE:
			return wf_io_disk_write(fd, v, n, -1, w->op.deadline);
		case PD_HOW_BLOCK:
			return write_blocking(fd, v, n);
		default:
			return how;
		}
		wf_io_how_was_wrong(pd, PD_WRITE, (enum pd_how)how);
	}
}

/* The first buffer has been written in part: the rest of it, and those that follow. */
static WF_NOINLINE ssize_t
write_rest(const struct io_write *w, struct pd *pd)
{
	struct iovec window[WINDOW];
	int n = wf_io_window(&w->at, window, SIZE_MAX, WINDOW);

	return write_buffers(w, pd, window, n);
}

static ssize_t
write_some(const struct io_write *w, struct pd *pd)
{
	if (wf_unlikely(w->at.skip != 0))
		return write_rest(w, pd);
	return write_buffers(w, pd, w->at.v, wf_min(w->at.n, IO_VEC_MAX));
}

static ssize_t
try_write(struct io_op *op, struct pd *pd)
{
	struct io_write *w = wf_container_of(op, struct io_write, op);
	ssize_t r;

	/* Once in any case: nothing at all, to a datagram socket, is a message too. */
	do {
		r = write_some(w, pd);
		if (r < 0)
			return r;
		wf_io_advance(&w->at, (size_t)r);
	} while (w->at.n > 0 && r > 0);
	return 0;
}

void
wf_io_write_init(struct io_write *w, const struct iovec *v, int n)
{
	*w = (struct io_write){.op.try_fn = try_write, .at = {.v = v, .n = n}};
}

ssize_t
wf_io_write_result(const struct io_write *w, ssize_t r)
{
	return w->at.done > 0 ? (ssize_t)w->at.done : r;
}

WF_PARKS static ssize_t
write_all(int fd, const struct iovec *v, int n, int64_t deadline)
{
	struct io_write w;
	ssize_t r;

	wf_io_write_init(&w, v, n);
	(void)wf_enter();
	r = wf_io_run(fd, PD_WRITE, &w.op, deadline);
	wf_leave();
	return wf_io_write_result(&w, r);
}

WF_API_PARKS ssize_t
weft_writev(int fd, const struct iovec *v, int n, int64_t deadline)
{
	if (n <= 0)
		return n == 0 ? 0 : -EINVAL;
	return write_all(fd, v, n, deadline);
}

WF_API_PARKS ssize_t
weft_write(int fd, const void *buf, size_t n, int64_t deadline)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};

	return write_all(fd, &v, 1, deadline);
}
