/*
 * weft_read and weft_readv.
 */
#include "io/io.h"

#include "io/disk.h"
#include "io/how.h"
#include "os/os.h"
#include "sched/self.h"

#include <errno.h>
#include <poll.h>

struct io_read {
	struct io_op op;
	const struct iovec *v;
	int n;
};

static ssize_t
read_socket(struct io_read *rd, int fd)
{
	struct msghdr m = {.msg_iovlen = (size_t)rd->n};

	if (wf_likely(rd->n == 1))
		return wf_os_recv(fd, rd->v->iov_base, rd->v->iov_len, MSG_DONTWAIT);
	m.msg_iov = (struct iovec *)(uintptr_t)rd->v;	/* only read */
	return wf_os_recvmsg(fd, &m, MSG_DONTWAIT);
}

/* TCP gives all it has, up to urgent data; what comes later makes an edge. */
static ssize_t
read_tcp(struct io_read *rd, struct pd *pd, int fd)
{
	ssize_t r = read_socket(rd, fd);
	bool is_short = r > 0 && rd->n == 1 && (size_t)r < rd->v->iov_len;

	wf_store_relaxed(&pd->is_drained, is_short);			/* R7 */
	return r;
}

static ssize_t
read_blocking(struct io_read *rd, int fd)
{
	ssize_t r;

	wf_blocking_begin();
	r = wf_os_readv(fd, rd->v, rd->n);
	wf_blocking_end();
	return r;
}

/* No way to ask without waiting but to look first. */
static ssize_t
read_polled(struct io_read *rd, int fd)
{
	int r = wf_os_is_nonblock(fd);

	if (r > 0)
		return wf_os_readv(fd, rd->v, rd->n);
	if (r == 0)
		r = wf_os_poll_now(fd, POLLIN);
	if (r <= 0)
		return r == 0 ? -EAGAIN : r;
	return read_blocking(rd, fd);
}

static ssize_t
try_read(struct io_op *op, struct pd *pd)
{
	struct io_read *rd = wf_container_of(op, struct io_read, op);
	int fd = pd_number(pd);
	ssize_t r;

	for (;;) {
		int how = wf_io_how(pd, PD_READ);

		switch (how) {
		case PD_HOW_SOCKET:
		case PD_HOW_TCP:
			r = how == PD_HOW_TCP ? read_tcp(rd, pd, fd) : read_socket(rd, fd);
			if (wf_likely(r != -ENOTSOCK))
				return r;
			break;
		case PD_HOW_NOWAIT:
			r = wf_os_readv_nowait(fd, rd->v, rd->n);
			if (wf_likely(r != -EOPNOTSUPP))
				return r;
			break;
		case PD_HOW_POLL:
			return read_polled(rd, fd);
		case PD_HOW_FILE:
			return wf_io_disk_read(fd, rd->v, rd->n, -1, rd->op.deadline);
		case PD_HOW_BLOCK:
			return read_blocking(rd, fd);
		default:
			return how;
		}
		wf_io_how_was_wrong(pd, PD_READ, (enum pd_how)how);
	}
}

WF_API_PARKS ssize_t
weft_readv(int fd, const struct iovec *v, int n, int64_t deadline)
{
	struct io_read rd = {
		.op = {.try_fn = try_read, .knows_drained = true},
		.v = v,
		.n = wf_min(n, IO_VEC_MAX),
	};
	ssize_t r;

	if (n <= 0)
		return n == 0 ? 0 : -EINVAL;
	(void)wf_enter();
	r = wf_io_run(fd, PD_READ, &rd.op, deadline);
	wf_leave();
	return r;
}

WF_PARKS ssize_t
wf_io_read(int fd, void *buf, size_t n, int64_t deadline)
{
	struct iovec v = {.iov_base = buf, .iov_len = n};
	struct pd_receive rc = {.buf = buf, .n = n};
	struct io_read rd = {
		.op = {.try_fn = try_read, .knows_drained = true, .receive = &rc},
		.v = &v,
		.n = 1,
	};

	return wf_io_run(fd, PD_READ, &rd.op, deadline);
}

WF_API_PARKS ssize_t
weft_read(int fd, void *buf, size_t n, int64_t deadline)
{
	ssize_t r;

	if (n == 0)
		return 0;	/* as Go: without looking, also where there is nothing yet */
	(void)wf_enter();
	r = wf_io_read(fd, buf, n, deadline);
	wf_leave();
	return r;
}
