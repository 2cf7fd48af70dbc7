/*
 * weft_set_deadline.
 */
#include "io/io.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/self.h"

#include <errno.h>

/* Counted as any operation: the next descriptor with this number must not get the deadline. */
WF_PARKS static int
set_deadline(int fd, int which, int64_t deadline)
{
	struct pd *pd;
	int r = wf_pd_get(fd, &pd);

	if (r == 0)
		r = wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER);
	if (r < 0)
		return r;
	r = wf_os_is_nonblock(fd);	/* is it open? */
	WF_POINT("io.deadline");
	if (r >= 0 && (which & WEFT_READS))
		r = wf_pd_until_set(pd, PD_READ, deadline);
	if (r >= 0 && (which & WEFT_WRITES))
		r = wf_pd_until_set(pd, PD_WRITE, deadline);
	wf_pd_leave(pd, PD_OTHER);
	return r < 0 ? r : 0;
}

WF_API_PARKS int
weft_set_deadline(int fd, int which, int64_t deadline)
{
	int r;

	if (which == 0 || (which & ~(WEFT_READS | WEFT_WRITES)))
		return -EINVAL;
	(void)wf_enter();
	r = set_deadline(fd, which, deadline);
	wf_leave();
	return r;
}
