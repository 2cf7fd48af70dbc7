/*
 * Waiting for the runtime's lock. See lock.h.
 *
 * Nearly all holders are gone within the first spin. One that is not has lost its CPU, in the
 * middle of some dozen instructions: first it is offered ours, then we sleep, a little longer each
 * time, so that it gets one even if its priority is lower. Nobody wakes us, so no sleep is long.
 */
#include "sched/lock.h"

#include "os/os.h"

#ifndef WF_SMALL		/* else a test has set both */
#define SPIN_ROUNDS 30		/* of a pause: about a microsecond */
#define YIELDS 4
#endif
#define NAP_MIN_NS 10000
#define NAP_MAX_NS 500000

/* Waits a moment for the lock to look free. Returns whether it was taken. */
static bool
spin(struct wf_lock *l)
{
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		if (wf_load_relaxed(&l->word) == 0 && wf_trylock(l))
			return true;
		wf_cpu_relax();
	}
	return false;
}

WF_COLD void
wf_lock_slow(struct wf_lock *l)
{
	int64_t nap = NAP_MIN_NS;

	for (int i = 0; !spin(l); i++) {
		if (i < YIELDS) {
			wf_os_thread_yield();
			continue;
		}
		/* Not a wait for a wake: the word is named so that a free lock is not slept on. */
		(void)wf_os_futex_wait(&l->word, 1, wf_os_now() + nap);
		nap = wf_min(2 * nap, (int64_t)NAP_MAX_NS);
	}
}
