/*
 * The system as the model has it: src/os/os.h, as far as the scheduler asks for it.
 */
#include "os/os.h"

#include "explore.h"
#include "seam/world.h"

#include <errno.h>

int64_t
wf_os_now(void)
{
	return mc_now();
}

int
wf_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
	return mc_futex_wait(word, expected, deadline);
}

int
wf_os_futex_wake(const _Atomic uint32_t *word, int n)
{
	return mc_futex_wake(word, n);
}

int
wf_os_membarrier(void)
{
	mc_membarrier();
	return 0;
}

void
wf_os_thread_yield(void)
{
	mc_relax();
}

int
wf_os_thread_start(void (*fn)(void *), void *arg, size_t stack_bytes, bool block_signals)
{
	(void)stack_bytes;
	(void)block_signals;
	(void)mc_spawn(fn, arg);
	return 0;
}

void
wf_os_thread_exit(void)
{
	mc_thread_end();
}

int
wf_os_tid(void)
{
	return mc_thread();
}

int
wf_os_affinity_count(void)
{
	return 2;
}

/* Where lowering works, raising again does: world.may_raise. */
int
wf_os_thread_nice(int tid, int delta)
{
	(void)tid;
	return delta < 0 && !world.may_raise ? -EACCES : 0;
}

int
wf_os_thread_stack(uintptr_t *ret_lo, uintptr_t *ret_hi)
{
	*ret_lo = *ret_hi = 0;
	return 0;
}

void
wf_os_thread_name(const char *name)
{
	(void)name;
}

struct wf_os_exceptions *
wf_os_exceptions(void)
{
	return NULL;
}

void
wf_os_timer_slack_min(void)
{
}

void *
wf_os_sigaltstack_new(size_t bytes)
{
	(void)bytes;
	return NULL;
}

bool
wf_os_sigaltstack_has(const void *stack, size_t bytes, uintptr_t address)
{
	(void)stack;
	(void)bytes;
	(void)address;
	return false;
}

void
wf_os_sigaltstack_free(void *stack, size_t bytes)
{
	(void)stack;
	(void)bytes;
}

int
wf_os_at_thread_exit(void (*fn)(void *), void *arg)
{
	(void)fn;
	(void)arg;
	return 0;
}

ssize_t
wf_os_write(int fd, const void *buf, size_t n)
{
	(void)fd;
	(void)buf;
	return (ssize_t)n;
}

void
wf_os_pause_forever(void)
{
	mc_thread_end();
}
