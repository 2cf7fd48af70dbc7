/*
 * Clocks. Knows nothing of who asks.
 */
#include "os/os.h"

#include <errno.h>
#include <time.h>

static int64_t
to_ns(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

int64_t
wf_os_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return to_ns(&ts);
}

int64_t
wf_os_wall_clock(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return to_ns(&ts);
}

int64_t
wf_os_thread_cpu(int tid)
{
	/*
	 * The kernel's encoding of another thread's CPU clock: ~tid << 3 | per-thread | scheduler
	 * time.
	 */
	clockid_t id = (clockid_t)((~(unsigned int)tid << 3) | 6u);
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		return -errno;
	return to_ns(&ts);
}
