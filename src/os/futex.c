/*
 * Futexes: sleeping on a word of memory until another thread changes it. All private to
 * the process.
 */
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
wf_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct timespec ts, *pts = NULL;

	if (deadline != INT64_MAX) {
		if (deadline < 0)
			deadline = 0;
		ts.tv_sec = (time_t)(deadline / 1000000000);
		ts.tv_nsec = (long)(deadline % 1000000000);
		pts = &ts;
	}
	/* WAIT_BITSET takes an absolute CLOCK_MONOTONIC time; plain WAIT a relative one. */
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, pts, NULL,
	    FUTEX_BITSET_MATCH_ANY) != 0)
		return -errno;
	return 0;
}

int
wf_os_futex_wake(const _Atomic uint32_t *word, int n)
{
	long r = syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);

	return r < 0 ? -errno : (int)r;
}
