/*
 * weft_accept.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/self.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

struct io_accept {
	struct io_op op;
	struct sockaddr *from;
	socklen_t *len;
};

static bool
listens(int fd)
{
	int yes;

	return wf_os_getsockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes) == 0 && yes;
}

/*
 * The peer was gone before we looked, or its network: Linux reports on the listener what belongs
 * to the connection (accept(2)). The next one is as good.
 */
static bool
is_peers_error(int fd, ssize_t r)
{
	switch (r) {
	case -ECONNABORTED:
	case -ENETDOWN:
	case -EPROTO:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return true;
	case -EOPNOTSUPP:	/* also the answer of a socket that can't accept at all */
		return listens(fd);
	default:
		return false;
	}
}

/*
 * accept(2) has no MSG_DONTWAIT. If the listener blocks we look first; another process that shares
 * it may still be quicker than we, so the call is marked.
 */
static int
accept_blocking(int fd, const struct io_accept *ac)
{
	int r = wf_os_poll_now(fd, POLLIN);

	/* What does not listen never gets ready, and is told so by the call at once. */
	if (r < 0 || (r == 0 && listens(fd)))
		return r == 0 ? -EAGAIN : r;
	wf_blocking_begin();
	r = wf_os_accept(fd, ac->from, ac->len);
	wf_blocking_end();
	return r;
}

static ssize_t
try_accept(struct io_op *op, struct pd *pd)
{
	const struct io_accept *ac = wf_container_of(op, struct io_accept, op);
	int fd = pd_number(pd), r = wf_os_is_nonblock(fd);
	bool blocks = r == 0;

	if (r < 0)
		return r;
	do
		r = blocks ? accept_blocking(fd, ac) : wf_os_accept(fd, ac->from, ac->len);
	while (wf_unlikely(r < 0) && is_peers_error(fd, r));
	return r;
}

WF_API_PARKS int
weft_accept(int fd, struct sockaddr *from, socklen_t *len, int64_t deadline)
{
	struct io_accept ac = {.op.try_fn = try_accept, .from = from, .len = len};
	int r;

	(void)wf_enter();
	r = (int)wf_io_run(fd, PD_READ, &ac.op, deadline);
	if (r >= 0) {
		/* Fails on what is not TCP, which has no delay to turn off. */
		int no = wf_os_setsockopt_int(r, IPPROTO_TCP, TCP_NODELAY, 1);

		wf_pd_adopt(r, no == 0 ? PD_HOW_TCP : PD_HOW_SOCKET);
	}
	wf_leave();
	return r;
}
