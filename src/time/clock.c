/*
 * The clock and sleeping. Knows no timers: a sleep is a wait with a deadline that nobody
 * ends but the scheduler.
 */
#include <weft/time.h>

#include "base/compiler.h"
#include "os/os.h"
#include "sched/park.h"
#include "sched/self.h"
#include "time/beat.h"

#include <errno.h>

int64_t
weft_now(void)
{
	return wf_os_now();
}

int64_t
weft_in(int64_t ns)
{
	return wf_time_after(wf_os_now(), ns);
}

WF_API_PARKS int
weft_sleep(int64_t ns)
{
	int64_t deadline;
	int r;

	if (ns <= 0)
		return 0;
	/* Before wf_enter(), which may wait for a P: that time counts as slept. */
	deadline = wf_time_after(wf_os_now(), ns);

	wf_enter();
	r = wf_park_check(deadline, /* cancellable */ true);
	if (r == 0)
		r = wf_park(NULL, NULL, WAIT_SLEEP, deadline, /* cancellable */ true);
	wf_leave();
	return r == -ETIMEDOUT ? 0 : r;
}
