/*
 * Kernel threads, through glibc's pthreads: a goroutine may call anything of libc, so its
 * thread must be one that libc knows.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include "base/atomic.h"
#include "os/thread_stack.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the C++ library, if the program has it. It never changes its mind about a thread. */
extern struct wf_os_exceptions *__cxa_get_globals(void) __attribute__((weak));

/* Of libweft-lint, if it was loaded before the program. */
extern const void *weft_lint_lock_held(uintptr_t lo, uintptr_t hi, const char **ret_kind)
    __attribute__((weak));

/* What threads of ours have blocked: what the first thread had when weft began. */
static sigset_t process_mask;

void
wf_os_thread_mask_init(void)
{
	pthread_sigmask(SIG_SETMASK, NULL, &process_mask);
}

static void
leave_stack(void *s)
{
	wf_thread_stack_end(s);
}

static void *
run(void *p)
{
	struct thread_stack *s = p;

	/* It may end by pthread_exit(3), too. */
	pthread_cleanup_push(leave_stack, s);
	s->fn(s->arg);
	pthread_cleanup_pop(/* execute */ 1);
	return NULL;
}

int
wf_os_thread_start(void (*fn)(void *), void *arg, size_t stack_bytes, bool block_signals)
{
	struct thread_stack *s;
	pthread_attr_t attr;
	pthread_t t;
	sigset_t mask, old;
	int e;

	if ((e = pthread_attr_init(&attr)) != 0)
		return -e;
	if ((s = wf_thread_stack_take(stack_bytes)) == NULL) {
		(void)pthread_attr_destroy(&attr);
		return -ENOMEM;
	}
	s->fn = fn;
	s->arg = arg;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (s->base != NULL)
		(void)pthread_attr_setstack(&attr, s->base, s->bytes);
	else
		(void)pthread_attr_setstacksize(&attr, s->bytes);
	if (block_signals)
		sigfillset(&mask);
	else
		mask = process_mask;
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	e = pthread_create(&t, &attr, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (e != 0)
		wf_thread_stack_put(s);
	return -e;
}

struct wf_os_exceptions *
wf_os_exceptions(void)
{
	return __cxa_get_globals != NULL ? __cxa_get_globals() : NULL;
}

int
wf_os_tid(void)
{
	return (int)syscall(SYS_gettid);
}

int
wf_os_pid(void)
{
	return (int)getpid();
}

bool
wf_os_is_main_thread(void)
{
	return wf_os_tid() == wf_os_pid();
}

int
wf_os_thread_stack(uintptr_t *ret_lo, uintptr_t *ret_hi)
{
	pthread_attr_t attr;
	void *lo;
	size_t n;
	int e = pthread_getattr_np(pthread_self(), &attr);

	if (e != 0)
		return -e;
	e = pthread_attr_getstack(&attr, &lo, &n);
	(void)pthread_attr_destroy(&attr);
	if (e != 0)
		return -e;
	*ret_lo = (uintptr_t)lo;
	*ret_hi = (uintptr_t)lo + n;
	return 0;
}

int
wf_os_thread_state(int tid)
{
	char path[64], buf[512];
	ssize_t n;
	char *p;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	n = wf_os_read_file(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	/* "tid (name) S ...": the name may hold anything, so look for the last parenthesis. */
	p = strrchr(buf, ')');
	if (p == NULL || p[1] != ' ')
		return -EIO;
	return (unsigned char)p[2];
}

int
wf_os_thread_place(int tid, long *ret_call, uintptr_t *ret_sp, uintptr_t *ret_pc)
{
	char path[64], buf[256], *at, *end;
	uintptr_t v[8] = {0};
	ssize_t n;
	long call;

	/* "NUMBER ARGUMENT*6 SP PC", "-1 SP PC" outside of a system call, or "running". */
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	n = wf_os_read_file(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	call = strtol(buf, &end, 10);
	if (end == buf || call < 0)
		return -EAGAIN;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		at = end;
		v[i] = (uintptr_t)strtoull(at, &end, 16);
		if (end == at)
			return -EIO;
	}
	*ret_call = call;
	*ret_sp = v[6];
	*ret_pc = v[7];
	return 0;
}

int
wf_os_thread_kill(int tid, int sig)
{
	return syscall(SYS_tgkill, getpid(), tid, sig) == 0 ? 0 : -errno;
}

const void *
wf_os_lock_held(uintptr_t lo, uintptr_t hi, const char **ret_kind)
{
	return weft_lint_lock_held != NULL ? weft_lint_lock_held(lo, hi, ret_kind) : NULL;
}

int
wf_os_thread_nice(int tid, int delta)
{
	int old;

	errno = 0;
	old = getpriority(PRIO_PROCESS, (id_t)tid);
	if (old == -1 && errno != 0)
		return -errno;
	return setpriority(PRIO_PROCESS, (id_t)tid, old + delta) == 0 ? 0 : -errno;
}

/* The kernel's threads that serve our rings, "iou-wrk-..." (io_uring(7)); 0 if it can't be told. */
static int
count_ring_workers(void)
{
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	char path[64], name[32];
	int n = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", e->d_name);
		if (e->d_name[0] != '.' && wf_os_read_file(path, name, sizeof(name)) > 0 &&
		    strncmp(name, "iou-", 4) == 0)
			n++;
	}
	if (d != NULL)
		(void)closedir(d);
	return n;
}

int
wf_os_thread_count(void)
{
	char buf[4096];
	ssize_t n = wf_os_read_file("/proc/self/status", buf, sizeof(buf));
	const char *p;

	if (n < 0)
		return (int)n;
	p = strstr(buf, "\nThreads:");
	if (p == NULL)
		return -EIO;
	return atoi(p + 9) - (wf_os_uring_is_used() ? count_ring_workers() : 0);
}

void
wf_os_thread_yield(void)
{
	(void)sched_yield();
}

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static void (*_Atomic exit_fn)(void *);
static int exit_error;

static void
at_exit(void *arg)
{
	wf_load_relaxed(&exit_fn)(arg);	/* every store is of the same value */
}

static void
make_exit_key(void)
{
	exit_error = -pthread_key_create(&exit_key, at_exit);
}

int
wf_os_at_thread_exit(void (*fn)(void *), void *arg)
{
	/* One function for the whole process is all that weft needs. */
	wf_store_relaxed(&exit_fn, fn);
	(void)pthread_once(&exit_once, make_exit_key);
	if (exit_error != 0)
		return exit_error;
	return -pthread_setspecific(exit_key, arg);
}

void
wf_os_thread_exit(void)
{
	pthread_exit(NULL);
}

void
wf_os_timer_slack_min(void)
{
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

int
wf_os_membarrier_init(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
		return -errno;
	return 0;
}

int
wf_os_membarrier(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
		return -errno;
	return 0;
}

void
wf_os_thread_name(const char *name)
{
	char buf[16];

	snprintf(buf, sizeof(buf), "%s", name);
	(void)pthread_setname_np(pthread_self(), buf);
}

void
wf_os_at_fork_child(void (*fn)(void))
{
	(void)pthread_atfork(NULL, NULL, fn);
}
