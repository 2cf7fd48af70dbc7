/*
 * Child processes. The child shares our memory until it runs its program, while the calling thread
 * stands still (CLONE_VM, CLONE_VFORK): nothing is copied, however large we are, no handler of
 * pthread_atfork(3) runs, and it tells what went wrong by writing it down.
 *
 * What may be done in such a child is little: it runs on the identity of our thread (thread-locals,
 * locks of libc), so it makes bare system calls only, and no signal may reach a handler of
 * ours there: all are blocked until the handlers are gone.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include "base/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define NSIGNALS 64
#define KERNEL_SIGSET_BYTES (NSIGNALS / 8)
#define CHILD_STACK ((size_t)65536)

/* The sanitizers' books are those of the thread that stands still. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

/* clone(3) without ThreadSanitizer's wrapper, which takes each for a fork(2). */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone

/* struct sigaction as the kernel has it, on x86-64 and aarch64. */
struct kernel_sigaction {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

struct child {
	const struct wf_os_spawn *s;
	uint64_t mask;		/* of the calling thread */
	int *fds;		/* s->fds, to be changed */
	int error;		/* what stopped it, if something did */
};

IN_CHILD static void
drop_handlers(void)
{
	static const struct kernel_sigaction none;
	struct kernel_sigaction now;

	for (int sig = 1; sig <= NSIGNALS; sig++)
		if (syscall(SYS_rt_sigaction, sig, NULL, &now, KERNEL_SIGSET_BYTES) == 0 &&
		    now.handler != (uintptr_t)SIG_DFL && now.handler != (uintptr_t)SIG_IGN)
			(void)syscall(SYS_rt_sigaction, sig, &none, NULL, KERNEL_SIGSET_BYTES);
}

/* fds[i] becomes i, for all, though the numbers may overlap. */
IN_CHILD static bool
place_fds(int *fds, int n)
{
	for (int i = 0; i < n; i++) {
		/* It would be overwritten before its turn comes. */
		if (fds[i] >= 0 && fds[i] < i) {
			fds[i] = (int)syscall(SYS_fcntl, fds[i], F_DUPFD_CLOEXEC, n);
			if (fds[i] < 0)
				return false;
		}
	}
	for (int i = 0; i < n; i++) {
		if (fds[i] < 0)
			(void)syscall(SYS_close, i);
		else if (fds[i] != i ? syscall(SYS_dup3, fds[i], i, 0) < 0
				     /* Inherited: what is closed, since it was looked at, too. */
				     : syscall(SYS_fcntl, i, F_SETFD, 0) < 0 && i > 2)
			return false;
	}
	return true;
}

/* Linux before 5.9 has no close_range(2). */
IN_CHILD static void
close_one_by_one(unsigned from)
{
	struct rlimit limit = {0};

	(void)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	for (unsigned fd = from; fd < limit.rlim_cur && fd < (1u << 20); fd++)
		(void)syscall(SYS_close, fd);
}

IN_CHILD static int
run_child(void *arg)
{
	struct child *c = arg;
	const struct wf_os_spawn *s = c->s;

	drop_handlers();
	if ((!s->own_group || syscall(SYS_setpgid, 0, 0) == 0) &&
	    (s->dir == NULL || syscall(SYS_chdir, s->dir) == 0) && place_fds(c->fds, s->nfds)) {
		if (syscall(SYS_close_range, s->nfds, ~0U, 0) < 0)
			close_one_by_one((unsigned)s->nfds);
		(void)syscall(
		    SYS_rt_sigprocmask, SIG_SETMASK, &c->mask, NULL, KERNEL_SIGSET_BYTES);
		(void)syscall(SYS_execve, s->path, s->argv, s->env);
	}
	c->error = errno;
	(void)syscall(SYS_exit_group, 127);
	return 0;
}

static int
start(struct child *c, int *ret_pid)
{
	char *stack = wf_os_map(CHILD_STACK);
	uint64_t all = ~UINT64_C(0);
	int pid, pidfd = -1, error;

	if (stack == NULL)
		return -ENOMEM;
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &c->mask, KERNEL_SIGSET_BYTES);
	pid = clone(run_child, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
	    c, &pidfd);
	error = errno;
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &c->mask, NULL, KERNEL_SIGSET_BYTES);
	wf_os_unmap(stack, CHILD_STACK);
	if (pid < 0)
		return error == EINVAL ? -ENOSYS : -error;
	if (pidfd < 0)	/* a kernel before 5.2 ignores the flag */
		c->error = ENOSYS;
	if (c->error == 0) {
		/* Both are open: there is nothing that this could say. */
		(void)dup3(pidfd, c->s->pidfd, O_CLOEXEC);
		*ret_pid = pid;
	} else {
		/* It never was a program: nobody shall hear of it. */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	if (pidfd >= 0)
		(void)close(pidfd);
	return -c->error;
}

int
wf_os_spawn(const struct wf_os_spawn *s, int *ret_pid)
{
	struct child c = {.s = s};
	int r;

	c.fds = malloc((size_t)s->nfds * sizeof(int) + 1);
	if (c.fds == NULL)
		return -ENOMEM;
	memcpy(c.fds, s->fds, (size_t)s->nfds * sizeof(int));
	r = start(&c, ret_pid);
	free(c.fds);
	return r;
}

/* As seen from at. 0, -ENOENT or -EACCES. */
static int
is_program(int at, const char *path)
{
	struct stat st;

	if (fstatat(at, path, &st, 0) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	if (S_ISDIR(st.st_mode) || faccessat(at, path, X_OK, AT_EACCESS) < 0)
		return -EACCES;
	return 0;
}

static int
find_program(int at, const char *name, char *buf, size_t cap)
{
	const char *dir = getenv("PATH"), *end;
	int r, worst = -ENOENT;

	if (*name == '\0')
		return -ENOENT;
	if (strchr(name, '/') != NULL)
		return (size_t)snprintf(buf, cap, "%s", name) < cap ? 0 : -ENAMETOOLONG;
	if (dir == NULL)
		dir = "/bin:/usr/bin";
	for (;; dir = end + 1) {
		end = strchrnul(dir, ':');
		/* An empty one is the current directory, of old. */
		r = snprintf(buf, cap, "%.*s%s%s", (int)(end - dir), dir, end == dir ? "." : "",
		    "/");
		if (r >= 0 && (size_t)r + strlen(name) < cap) {
			strcat(buf, name);
			r = is_program(at, buf);
			if (r == 0)
				return 0;
			if (r == -EACCES)
				worst = r;
		}
		if (*end == '\0')
			return worst;
	}
}

int
wf_os_find_program(const char *name, const char *dir, char *buf, size_t cap)
{
	int at = AT_FDCWD, r;

	if (dir != NULL && (at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -errno;
	r = find_program(at, name, buf, cap);
	if (dir != NULL)
		(void)close(at);
	return r;
}

char *const *
wf_os_environ(void)
{
	return environ;
}

int
wf_os_open_null(bool writes)
{
	int fd = open("/dev/null", (writes ? O_WRONLY : O_RDONLY) | O_CLOEXEC);

	return fd < 0 ? -errno : wf_os_above_stdio(fd);
}

static int64_t
to_ns(struct timeval tv)
{
	return (int64_t)tv.tv_sec * 1000000000 + (int64_t)tv.tv_usec * 1000;
}

int
wf_os_wait_pidfd(int pidfd, struct wf_os_exit *ret)
{
	struct rusage used;
	siginfo_t info;
	long r;

	memset(&info, 0, sizeof(info));
	memset(&used, 0, sizeof(used));
	do	/* libc's waitid(3) does not tell what was used */
		r = syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED | WNOHANG, &used);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (info.si_pid == 0)
		return -EAGAIN;
	*ret = (struct wf_os_exit){
	    .code = info.si_code == CLD_EXITED ? info.si_status : -1,
	    .signal = info.si_code == CLD_EXITED ? 0 : info.si_status,
	    .dumped = info.si_code == CLD_DUMPED,
	    .user_ns = to_ns(used.ru_utime),
	    .system_ns = to_ns(used.ru_stime),
	    .max_rss = (int64_t)used.ru_maxrss * 1024,
	};
	return 0;
}

int
wf_os_kill_pidfd(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int
wf_os_kill_group(int pid, int sig)
{
	return kill(-pid, sig) < 0 ? -errno : 0;
}
