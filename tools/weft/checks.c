/*
 * What the kernel can do, found out by doing it: a version says nothing about what a container's
 * filter lets through.
 */
#include "check.h"

#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102	/* Linux 6.13; not in glibc 2.36's headers */
#endif
/* The numbers are the same on all architectures. */
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

void
check_kernel(struct check *c)
{
	struct utsname u;

	if (uname(&u) != 0)
		check_bad(c, CHECK_WARN, "see uname(2)", "unknown: %s", strerror(errno));
	else
		check_ok(c, "%s %s %s", u.sysname, u.release, u.machine);
}

bool
guards_fault(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fds[2], e = 0;
	char *p;

	if (pipe(fds) != 0)
		return false;
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		/* The kernel reads from it for us: EFAULT instead of a signal. */
		if (write(fds[1], p, 1) == 1 && madvise(p, page, MADV_GUARD_INSTALL) == 0 &&
		    write(fds[1], p, 1) < 0)
			e = errno;
		(void)munmap(p, page);
	}
	(void)close(fds[0]);
	(void)close(fds[1]);
	return e == EFAULT;
}

void
check_guards(struct check *c)
{
	if (guards_fault())
		check_ok(c, "MADV_GUARD_INSTALL works: a stack's guard needs no mapping");
	else
		check_bad(c, CHECK_WARN, "run Linux 6.13 or newer; see also mappings, below",
		    "no MADV_GUARD_INSTALL: a stack's guard takes two mappings");
}

void
check_membarrier(struct check *c)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
	    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
		check_ok(c, "private expedited barriers work");
	else
		check_bad(c, CHECK_WARN, "let the container's seccomp profile allow membarrier",
		    "%s: each weft call has a fence more (8 ns)", strerror(errno));
}

void
check_epoll(struct check *c)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC), evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct timespec zero = { 0, 0 };
	struct epoll_event ev;

	if (epfd < 0 || evfd < 0)
		check_bad(c, CHECK_FAIL, "raise the limit of open files; allow epoll and eventfd",
		    "no poller: %s", strerror(errno));
	else if (syscall(SYS_epoll_pwait2, epfd, &ev, 1, &zero, NULL, (size_t)0) == 0)
		check_ok(c, "epoll_pwait2 works: an idle process wakes within microseconds");
	else
		check_bad(c, CHECK_WARN, "run Linux 5.11 or newer, or allow epoll_pwait2 (seccomp)",
		    "no epoll_pwait2 (%s): waits of an idle process are rounded up to 1 ms",
		    strerror(errno));
	if (epfd >= 0)
		(void)close(epfd);
	if (evfd >= 0)
		(void)close(evfd);
}

/* Which poller programs will have. The kernel's structure has 120 bytes; what it writes there does
 * not matter. */
void
check_io_uring(struct check *c)
{
	const char *forced = getenv("WEFT_POLLER");
	char params[256];
	long fd;

	if (forced != NULL && strcmp(forced, "epoll") == 0) {
		check_ok(c, "not used: WEFT_POLLER=epoll; files cost threads");
		return;
	}
	memset(params, 0, sizeof(params));
	fd = syscall(SYS_io_uring_setup, 2, params);
	if (fd < 0) {
		check_ok(c, "not allowed: %s; files cost threads", strerror(errno));
		return;
	}
	(void)close((int)fd);
	if (forced != NULL && strcmp(forced, "uring") == 0)
		check_ok(c, "allowed: used for sockets and files (WEFT_POLLER=uring)");
	else
		check_ok(c, "allowed: used for files; sockets use epoll");
}

/* What src/os/process.c calls, of a number that is no descriptor: EBADF says that it is there. */
void
check_pidfd(struct check *c)
{
	static const char *const remedy =
	    "run Linux 5.4 or newer, or allow waitid and pidfd_send_signal (seccomp)";
	siginfo_t info;

	if (waitid((idtype_t)P_PIDFD, INT_MAX, &info, WEXITED | WNOHANG) != 0 && errno != EBADF)
		check_bad(c, CHECK_WARN, remedy,
		    "waitid of a pidfd: %s: weft_spawn and weft_run do not work", strerror(errno));
	else if (syscall(SYS_pidfd_send_signal, INT_MAX, 0, NULL, 0) != 0 && errno != EBADF)
		check_bad(c, CHECK_WARN, remedy,
		    "pidfd_send_signal: %s: child processes can't be killed", strerror(errno));
	else
		check_ok(c, "pidfds work: weft_spawn and weft_run use them");
}
