/*
 * The calls that sockets have and files have not: weft_recv, weft_send and their kin.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/self.h"

#include <errno.h>

struct io_recv {
	struct io_op op;
	char *buf;
	size_t n;
	size_t got;		/* with all: bytes received */
	int flags;
	bool all;		/* MSG_WAITALL on a stream */
	struct sockaddr *from;
	socklen_t *len;
};

static ssize_t
try_recv(struct io_op *op, struct pd *pd)
{
	struct io_recv *rc = wf_container_of(op, struct io_recv, op);
	ssize_t r;

	do {
		r = wf_os_recvfrom(pd_number(pd), rc->buf + rc->got, rc->n - rc->got, rc->flags,
		    rc->from, rc->len);
		if (r > 0 && rc->all)
			rc->got += (size_t)r;
	} while (r > 0 && rc->all && rc->got < rc->n);
	if (wf_unlikely(rc->flags & MSG_OOB) && r >= 0)
		wf_pd_took_urgent(pd);
	return r;
}

/* MSG_WAITALL means something for streams only, and we must do it: no call of ours waits. */
static bool
wants_all(int fd, int flags)
{
	int type;

	return (flags & MSG_WAITALL) && !(flags & (MSG_PEEK | MSG_DONTWAIT | MSG_ERRQUEUE)) &&
	    wf_os_getsockopt_int(fd, SOL_SOCKET, SO_TYPE, &type) == 0 && type == SOCK_STREAM;
}

WF_PARKS static ssize_t
receive(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len,
    int64_t deadline)
{
	struct io_recv rc = {
	    .op = {.try_fn = try_recv, .dontwait = (flags & MSG_DONTWAIT) != 0},
	    .buf = buf,
	    .n = n,
	    .flags = (flags & ~MSG_WAITALL) | MSG_DONTWAIT,
	    .from = from,
	    .len = len,
	};
	ssize_t r;

	(void)wf_enter();
	if (wf_unlikely(flags & MSG_WAITALL))
		rc.all = wants_all(fd, flags);
	r = wf_io_run(fd, PD_READ, &rc.op, deadline);
	wf_leave();
	return rc.got > 0 ? (ssize_t)rc.got : r;
}

WF_API_PARKS ssize_t
weft_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len,
    int64_t deadline)
{
	return receive(fd, buf, n, flags, from, len, deadline);
}

WF_API_PARKS ssize_t
weft_recv(int fd, void *buf, size_t n, int flags, int64_t deadline)
{
	return receive(fd, buf, n, flags, NULL, NULL, deadline);
}

struct io_send {
	struct io_op op;
	const void *buf;
	size_t n;
	int flags;
	const struct sockaddr *to;
	socklen_t len;
};

static ssize_t
try_send(struct io_op *op, struct pd *pd)
{
	const struct io_send *sn = wf_container_of(op, struct io_send, op);

	return wf_os_sendto(pd_number(pd), sn->buf, sn->n, sn->flags, sn->to, sn->len);
}

WF_PARKS static ssize_t
transmit(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len,
    int64_t deadline)
{
	struct io_send sn = {
	    .op = {.try_fn = try_send, .dontwait = (flags & MSG_DONTWAIT) != 0},
	    .buf = buf,
	    .n = n,
	    .flags = flags | MSG_DONTWAIT | MSG_NOSIGNAL,
	    .to = to,
	    .len = len,
	};
	ssize_t r;

	(void)wf_enter();
	r = wf_io_run(fd, PD_WRITE, &sn.op, deadline);
	wf_leave();
	return r;
}

WF_API_PARKS ssize_t
weft_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len,
    int64_t deadline)
{
	return transmit(fd, buf, n, flags, to, len, deadline);
}

WF_API_PARKS ssize_t
weft_send(int fd, const void *buf, size_t n, int flags, int64_t deadline)
{
	return transmit(fd, buf, n, flags, NULL, 0, deadline);
}

struct io_msg {
	struct io_op op;
	struct msghdr *m;	/* of a send it is only read */
	int flags;
};

static ssize_t
try_recvmsg(struct io_op *op, struct pd *pd)
{
	const struct io_msg *im = wf_container_of(op, struct io_msg, op);
	ssize_t r = wf_os_recvmsg(pd_number(pd), im->m, im->flags);

	if (wf_unlikely(im->flags & MSG_OOB) && r >= 0)
		wf_pd_took_urgent(pd);
	return r;
}

static ssize_t
try_sendmsg(struct io_op *op, struct pd *pd)
{
	const struct io_msg *im = wf_container_of(op, struct io_msg, op);

	return wf_os_sendmsg(pd_number(pd), im->m, im->flags);
}

WF_API_PARKS ssize_t
weft_recvmsg(int fd, struct msghdr *m, int flags, int64_t deadline)
{
	struct io_msg im = {
	    .op = {.try_fn = try_recvmsg, .dontwait = (flags & MSG_DONTWAIT) != 0},
	    .m = m,
	    .flags = flags | MSG_DONTWAIT,
	};
	ssize_t r;

	(void)wf_enter();
	r = wf_io_run(fd, PD_READ, &im.op, deadline);
	wf_leave();
	return r;
}

WF_API_PARKS ssize_t
weft_sendmsg(int fd, const struct msghdr *m, int flags, int64_t deadline)
{
	struct io_msg im = {
	    .op = {.try_fn = try_sendmsg, .dontwait = (flags & MSG_DONTWAIT) != 0},
	    .m = (struct msghdr *)(uintptr_t)m,
	    .flags = flags | MSG_DONTWAIT | MSG_NOSIGNAL,
	};
	ssize_t r;

	(void)wf_enter();
	r = wf_io_run(fd, PD_WRITE, &im.op, deadline);
	wf_leave();
	return r;
}
