/*
 * src/os/{clock,futex,thread}.c of the simulated machine.
 */
#define _GNU_SOURCE
#include "world.h"

#include "real.h"

#include <errno.h>

int64_t
wf_os_now(void)
{
	if (!wf_sim_is_on() && !wf_sim.has_failed)
		return wf_real_now();
	wf_sim_step();
	wf_sim.now += 30;	/* reading it takes that long, so that a loop over it ends */
	return wf_sim.now;
}

/* The processor's counter is of real time: a run has none. */
bool
wf_os_has_ticks(void)
{
	return !wf_sim_is_on() && wf_real_has_ticks();
}

static struct sim_thread *
by_tid(int tid)
{
	return tid >= 1 && (uint32_t)tid <= wf_sim.n_all ? wf_sim.all[tid - 1] : NULL;
}

int64_t
wf_os_thread_cpu(int tid)
{
	struct sim_thread *t;

	if (!wf_sim_is_on())
		return wf_real_thread_cpu(tid);
	wf_sim_call();
	t = by_tid(tid);
	if (t == NULL || t->state == SIM_ENDED)
		return -EINVAL;
	return t->cpu_ns + (t->state == SIM_BUSY ? wf_sim.now - t->busy_since : 0);
}

/* ---- Futexes ---- */

int
wf_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
	if (!wf_sim_is_on())
		return wf_real_futex_wait(word, expected, deadline);
	wf_sim_call();
	if (*word != expected)
		return -EAGAIN;
	if (deadline <= wf_sim.now)
		return -ETIMEDOUT;
	if (wf_sim_fault(WEFT_SIM_SPURIOUS, 8)) {
		wf_sim_relax();
		return wf_sim_below(2) == 0 ? 0 : -EINTR;
	}
	wf_sim.current->word = word;
	return wf_sim_block(SIM_BLOCKED, deadline);
}

int
wf_os_futex_wake(const _Atomic uint32_t *word, int n)
{
	int woken = 0;
	uint32_t from;

	if (!wf_sim_is_on())
		return wf_real_futex_wake(word, n);
	/* Not always in the order in which they came. */
	from = wf_sim_below(wf_sim.n_all);
	for (uint32_t i = 0; i < wf_sim.n_all && woken < n; i++) {
		struct sim_thread *t = wf_sim.all[(from + i) % wf_sim.n_all];

		if (t->state == SIM_BLOCKED && t->word == word) {
			wf_sim_wake(t, 0);
			woken++;
		}
	}
	wf_sim_call();
	return woken;
}

/* ---- Threads ---- */

int
wf_os_thread_start(void (*fn)(void *), void *arg, size_t stack_bytes, bool block_signals)
{
	if (!wf_sim_is_on())
		return wf_real_thread_start(fn, arg, stack_bytes, block_signals);
	wf_sim_call();
	if (wf_sim_refuses() || wf_sim_fault(WEFT_SIM_THREADS, 4)) {
		wf_sim.refused_at = wf_sim.now;
		return -EAGAIN;
	}
	return wf_sim_thread_new(fn, arg, stack_bytes) != NULL ? 0 : -EAGAIN;
}

int
wf_os_tid(void)
{
	return wf_sim_is_on() ? (int)wf_sim.current->id + 1 : wf_real_tid();
}

bool
wf_os_is_main_thread(void)
{
	return wf_sim_is_on() ? wf_sim.current->id == 0 : wf_real_is_main_thread();
}

int
wf_os_thread_stack(uintptr_t *ret_lo, uintptr_t *ret_hi)
{
	if (!wf_sim_is_on())
		return wf_real_thread_stack(ret_lo, ret_hi);
	*ret_lo = wf_sim.current->stack_lo;
	*ret_hi = wf_sim.current->stack_hi;
	return 0;
}

int
wf_os_thread_state(int tid)
{
	struct sim_thread *t;

	if (!wf_sim_is_on())
		return wf_real_thread_state(tid);
	wf_sim_call();
	t = by_tid(tid);
	if (t == NULL || t->state == SIM_ENDED)
		return -ENOENT;
	return t->state == SIM_BLOCKED ? 'S' : 'R';
}

int
wf_os_thread_nice(int tid, int delta)
{
	if (!wf_sim_is_on())
		return wf_real_thread_nice(tid, delta);
	wf_sim_call();
	return delta < 0 ? -EACCES : 0;
}

int
wf_os_thread_count(void)
{
	if (!wf_sim_is_on())
		return wf_real_thread_count();
	wf_sim_call();
	return (int)wf_sim.n_live;
}

void
wf_os_thread_yield(void)
{
	if (!wf_sim_is_on())
		wf_real_thread_yield();
	else
		wf_sim_relax();
}

int
wf_os_at_thread_exit(void (*fn)(void *), void *arg)
{
	if (!wf_sim_is_on())
		return wf_real_at_thread_exit(fn, arg);
	wf_sim.current->exit_fn = fn;
	wf_sim.current->exit_arg = arg;
	return 0;
}

void
wf_os_thread_exit(void)
{
	if (!wf_sim_is_on())
		wf_real_thread_exit();
	wf_sim_thread_end();
}

void
wf_os_pause_forever(void)
{
	if (!wf_sim_is_on())
		wf_real_pause_forever();
	for (;;)
		(void)wf_sim_block(SIM_BLOCKED, INT64_MAX);
}

void
wf_os_timer_slack_min(void)
{
	if (!wf_sim_is_on())
		wf_real_timer_slack_min();
}

void
wf_os_thread_name(const char *name)
{
	if (!wf_sim_is_on())
		wf_real_thread_name(name);
}

/* All run one after the other: there is nothing to order. */
int
wf_os_membarrier_init(void)
{
	if (!wf_sim_is_on())
		return wf_real_membarrier_init();
	return wf_sim.seed % 4 == 3 ? -EPERM : 0;	/* as in some containers */
}

int
wf_os_membarrier(void)
{
	if (!wf_sim_is_on())
		return wf_real_membarrier();
	wf_sim_call();
	return 0;
}

/* All are on one thread of the real machine, and that has one such stack. */
void *
wf_os_sigaltstack_new(size_t bytes)
{
	void *p;

	if (wf_sim_is_on() && wf_sim.signal_lo != 0)
		return NULL;
	p = wf_real_sigaltstack_new(bytes);
	if (wf_sim_is_on() && p != NULL) {
		wf_sim.signal_lo = (uintptr_t)p;
		wf_sim.signal_hi = (uintptr_t)p + bytes + WF_OS_SIGALTSTACK_EXTRA;
	}
	return p;
}
