/*
 * weft_set_deadline.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/self.h"

#include <errno.h>

static int
set_deadline(int fd, int which, int64_t deadline)
{
	struct pd *pd;
	int r = wf_os_is_nonblock(fd);

	if (r >= 0)
		r = wf_pd_get(fd, &pd);
	if (r >= 0 && (which & WEFT_READS))
		r = wf_pd_until_set(pd, PD_READ, deadline);
	if (r >= 0 && (which & WEFT_WRITES))
		r = wf_pd_until_set(pd, PD_WRITE, deadline);
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
