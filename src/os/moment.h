/*
 * Waiting for a thread that is between two steps and about to be done, unless the kernel has
 * stopped it there. Nobody tells: look, call wf_moment(), look again.
 *
 *	for (int i = 0; is_held(l); i++)
 *		wf_moment(i);
 *
 * First some pauses. A thread that is not done then has lost its CPU, and is offered ours. If that
 * does not help, it has a lower priority than we: a thread of SCHED_FIFO that yields keeps the CPU,
 * and with it the other one out, until the kernel throttles it. So then we sleep, a little longer
 * each time, up to half a millisecond.
 */
#ifndef WEFT_OS_MOMENT_H
#define WEFT_OS_MOMENT_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/compiler.h"
#include "os/os.h"

#ifndef WF_SMALL
#define MOMENT_PAUSES 1000	/* some 40 us: a hundred times what such steps take */
#define MOMENT_YIELDS 100
#else
/* The explorer knows when there is something new to look at: nothing but pauses. */
#define MOMENT_PAUSES INT32_MAX
#define MOMENT_YIELDS 0
#endif
#define MOMENT_NAP_MIN_NS ((int64_t)10000)
#define MOMENT_DOUBLINGS 6	/* of it, 640 us in the end */

/* i: how many looks there were before, from 0 on. */
static inline void
wf_moment(int i)
{
	static _Atomic uint32_t never;

	if (i < MOMENT_PAUSES) {
		wf_cpu_relax();
	} else if (i - MOMENT_PAUSES < MOMENT_YIELDS) {
		wf_os_thread_yield();
	} else {
		int naps = wf_min(i - MOMENT_PAUSES - MOMENT_YIELDS, MOMENT_DOUBLINGS);

		WF_POINT("moment.naps");
		(void)wf_os_futex_wait(&never, 0, wf_os_now() + (MOMENT_NAP_MIN_NS << naps));
	}
}

#endif /* WEFT_OS_MOMENT_H */
