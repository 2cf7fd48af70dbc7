/*
 * weft_close, and weft_poll.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/self.h"

#include <errno.h>

WF_PARKS int
wf_io_close(int fd)
{
	struct pd *pd;
	int r = wf_pd_get(fd, &pd);

	if (r < 0) {
		/* No record, so nobody operates on it. */
		wf_blocking_begin();
		r = wf_os_close(fd);
		wf_blocking_end();
		return r;
	}
	return wf_pd_close(pd);
}

WF_API_PARKS int
weft_close(int fd)
{
	int r;

	(void)wf_enter();
	r = wf_io_close(fd);
	wf_leave();
	return r;
}

WF_PARKS static int
poll_fd(int fd, short events, int64_t deadline)
{
	struct pd *pd;
	int r = wf_pd_get(fd, &pd);

	if (r < 0)
		return r;
	r = wf_pd_enter(pd, PD_OTHER, deadline);
	if (r < 0)
		return r;
	r = wf_pd_poll(pd, events, deadline);
	wf_pd_leave(pd, PD_OTHER);
	return r;
}

WF_API_PARKS int
weft_poll(int fd, short events, int64_t deadline)
{
	int r;

	(void)wf_enter();
	r = poll_fd(fd, events, deadline);
	wf_leave();
	return r;
}
