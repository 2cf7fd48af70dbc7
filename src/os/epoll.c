/*
 * epoll(7) and eventfd(2).
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "base/atomic.h"
#include "base/race.h"
#include "os/valgrind.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441	/* Linux 5.11; the number is the same on all architectures */
#endif

int
wf_os_epoll_create(void)
{
	int r = epoll_create1(EPOLL_CLOEXEC);

	return r < 0 ? -errno : wf_os_above_stdio(r);
}

int
wf_os_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};
	int r;

	wf_race_hide();		/* who made epfd is ordered before us by locks of ours */
	r = epoll_ctl(epfd, op, fd, &ev) < 0 ? -errno : 0;
	wf_race_show();
	return r;
}

int
wf_os_epoll_wait(int epfd, struct epoll_event *ev, int n, int64_t timeout_ns)
{
	static _Atomic bool no_pwait2;	/* set once, by whoever finds out */
	int ms = timeout_ns < 0 ? -1 : 0;
	int r;

	if (timeout_ns > 0) {
		if (!wf_load_relaxed(&no_pwait2) && !wf_on_valgrind()) {	/* 3.19 warns */
			struct timespec ts = {
			    .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};

			r = (int)syscall(SYS_epoll_pwait2, epfd, ev, n, &ts, NULL, (size_t)0);
			if (r >= 0 || (errno != ENOSYS && errno != EPERM))
				return r < 0 ? -errno : r;
			/* An old kernel, or a filter that does not know the call. */
			wf_store_relaxed(&no_pwait2, true);
		}
		/* Rounded up: too early would only make the caller come back at once. */
		ms = timeout_ns > 1000000000000 ? 1000000 : (int)((timeout_ns + 999999) / 1000000);
	}
	r = epoll_wait(epfd, ev, n, ms);
	return r < 0 ? -errno : r;
}

int
wf_os_eventfd(void)
{
	int r = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return r < 0 ? -errno : wf_os_above_stdio(r);
}
