/*
 * Clocks. Knows nothing of who asks.
 */
#include "os/os.h"

#include <errno.h>
#include <string.h>
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

/*
 * On x86 the kernel knows: it takes the counter for its own clock only where it is steady, and
 * leaves it if it turns out not to be. aarch64's is steady by its definition.
 */
bool
wf_os_has_ticks(void)
{
#if defined(__x86_64__)
	char name[16] = "";

	return wf_os_read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource",
	    name, sizeof(name)) > 0 && strcmp(name, "tsc\n") == 0;
#else
	return true;
#endif
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
