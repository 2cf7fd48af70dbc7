/*
 * Signals: handlers, alternate stacks, and the ways a process ends. Knows nothing of what
 * handlers do.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int
install(int sig, wf_os_sigfn fn, int flags, struct sigaction *ret_old)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = fn;
	sa.sa_flags = SA_ONSTACK | SA_SIGINFO | SA_RESTART | flags;
	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, ret_old) == 0 ? 0 : -errno;
}

int
wf_os_sigaction(int sig, wf_os_sigfn fn, struct sigaction *ret_old)
{
	return install(sig, fn, SA_NODEFER, ret_old);
}

int
wf_os_sigaction_deferred(int sig, wf_os_sigfn fn)
{
	return install(sig, fn, 0, NULL);
}

int
wf_os_sigaction_ignore(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	return sigaction(sig, &sa, NULL) == 0 ? 0 : -errno;
}

int
wf_os_sigaction_get(int sig, struct sigaction *ret)
{
	return sigaction(sig, NULL, ret) == 0 ? 0 : -errno;
}

int
wf_os_sigaction_restore(int sig, const struct sigaction *old)
{
	return sigaction(sig, old, NULL) == 0 ? 0 : -errno;
}

uintptr_t
wf_os_sigregs(const void *uctx, uintptr_t *v, size_t n)
{
	const ucontext_t *u = uctx;
#if defined(__x86_64__)
	static const unsigned char order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
	    REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	    REG_RIP};

	for (size_t i = 0; i < n; i++)
		v[i] = i < sizeof(order) ? (uintptr_t)u->uc_mcontext.gregs[order[i]] : 0;
	return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	for (size_t i = 0; i < n; i++)
		v[i] = i < 31 ? (uintptr_t)u->uc_mcontext.regs[i] : 0;
	if (n > 31)
		v[31] = (uintptr_t)u->uc_mcontext.sp;
	if (n > 32)
		v[32] = (uintptr_t)u->uc_mcontext.pc;
	return (uintptr_t)u->uc_mcontext.pc;
#endif
}

int
wf_os_prof_timer(int64_t ns)
{
	struct itimerval t = { .it_interval = { .tv_sec = ns / 1000000000,
	    .tv_usec = ns % 1000000000 / 1000 } };

	t.it_value = t.it_interval;
	return setitimer(ITIMER_PROF, &t, NULL) == 0 ? 0 : -errno;
}

int64_t
wf_os_prof_time(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int
wf_os_errno_save(void)
{
	return errno;
}

void
wf_os_errno_restore(int saved)
{
	errno = saved;
}

void
wf_os_eventfd_ring(int fd)
{
	static const uint64_t one = 1;
	int error = errno;

	/* Fails only when it is rung already. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	errno = error;
}

void
wf_os_kill_self(int sig)
{
	(void)kill(getpid(), sig);
}

/* What a process that does not get to exit(3) has run counts as well (make coverage). */
#ifdef WEFT_COVERAGE
void __gcov_dump(void);
#define write_coverage() __gcov_dump()
#else
#define write_coverage() ((void)0)
#endif

void
wf_os_raise_default(int sig)
{
	struct sigaction sa;
	sigset_t set;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_DFL;
	(void)sigaction(sig, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	write_coverage();
	(void)raise(sig);
}

void
wf_os_pause_forever(void)
{
	for (;;)
		(void)pause();
}

void
wf_os_exit(int status)
{
	write_coverage();
	_exit(status);
}

void
wf_os_abort(void)
{
	wf_os_raise_default(SIGABRT);
	_exit(127);
}
