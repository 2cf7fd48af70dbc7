/*
 * weft_connect.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/park.h"

#include <errno.h>

#define BUSY_NS_MIN 200000	/* 0.2 ms, then twice as long each time, */
#define BUSY_NS_MAX 10000000	/* to 10 ms */

int
wf_io_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int error, r = wf_os_getsockopt_int(fd, SOL_SOCKET, SO_ERROR, &error);

	if (r < 0)
		return r;
	if (error != 0)
		return error == EINPROGRESS || error == EALREADY ? -EAGAIN : -error;
	/* No error is also what there is before the end. A socket with a peer is connected. */
	r = wf_os_getpeername(fd, (struct sockaddr *)&peer, &len);
	return r == -ENOTCONN ? -EAGAIN : r;
}

WF_PARKS static int
wait_connected(struct pd *pd, int64_t deadline)
{
	int r;

	/* Asked before the first wait: on this machine it is often done. */
	while ((r = wf_io_connected(pd_number(pd))) == -EAGAIN) {
		r = wf_pd_wait(pd, PD_WRITE, deadline, NULL);
		if (r < 0)
			break;
	}
	return r;
}

/*
 * The listener's queue is full (Unix sockets only). No event tells when it is not any more,
 * so all one can do is to ask again.
 */
WF_PARKS static int
pause_busy(struct pd *pd, int64_t ns, int64_t deadline)
{
	int r = wf_park_check(deadline, true);

	if (r < 0)
		return r;
	r = wf_park(NULL, NULL, WAIT_IO, wf_min(deadline, wf_os_now() + ns), true);
	if (r == -ECANCELED)
		return r;
	/* Nobody can wake us from this; a closer waits until we look. */
	return wf_load_relaxed(&pd->refs) & PD_CLOSING ? -EBADF : 0;
}

WF_PARKS static int
connect_nonblock(struct pd *pd, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	int64_t pause_ns = BUSY_NS_MIN;
	int r;

	wf_pd_prepare(pd, PD_WRITE);
	while ((r = wf_os_connect(pd_number(pd), to, len)) == -EAGAIN) {
		r = pause_busy(pd, pause_ns, deadline);
		if (r < 0)
			return r;
		pause_ns = wf_min(2 * pause_ns, BUSY_NS_MAX);
	}
	if (r == -EINPROGRESS || r == -EALREADY)
		r = wait_connected(pd, deadline);
	return r;
}

WF_PARKS int
wf_io_connect(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	struct pd *pd;
	int is_nonblock, r = wf_pd_get(fd, &pd);

	if (r < 0)
		return r;
	r = wf_pd_enter(pd, PD_WRITE, deadline);
	if (r < 0)
		return r;
	/*
	 * There is no MSG_DONTWAIT for connect(2). A blocking socket is made non-blocking for the
	 * time of the call: it is not connected, so nobody can be reading or writing meanwhile.
	 */
	r = is_nonblock = wf_os_is_nonblock(fd);
	if (is_nonblock == 0)
		r = wf_os_set_nonblock(fd, true);
	if (r >= 0)
		r = connect_nonblock(pd, to, len, deadline);
	if (is_nonblock == 0)
		(void)wf_os_set_nonblock(fd, false);
	wf_pd_leave(pd, PD_WRITE);
	return r;
}

WF_API_PARKS int
weft_connect(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	int r;

	(void)wf_enter();
	r = wf_io_connect(fd, to, len, deadline);
	wf_leave();
	return r;
}
