/*
 * Waiting for the runtime's lock. See lock.h.
 *
 * Nearly all holders are gone within the first spin, and it is long on purpose. Every look takes
 * the lock's line away from its holder, and a lock that changes hands after each operation takes
 * the object's lines along: 50 to 100 ns. Let alone for a microsecond, the holder's processor does
 * some dozens of operations meanwhile, and then it is our turn to do as many. With 4 senders and 4
 * receivers on one channel and two processors (bench/buffered) an element costs 142 ns when we
 * look after each pause, 37 ns from 16 pauses on, 28 from 64, 24 from 128; alone it is 24.
 *
 * A holder that is not gone then has lost its CPU, in the middle of some dozen instructions: first
 * it is offered ours, then we sleep, a little longer each time, so that it gets one even if its
 * priority is lower. Nobody wakes us, so no sleep is long.
 */
#include "sched/lock.h"

#include "os/os.h"

#ifndef WF_SMALL		/* else a test has set both */
#define SPIN_ROUNDS 128		/* pauses before a look: 1.4 us to 6 us, by processor */
#define YIELDS 4
#endif
#define NAP_MIN_NS 10000
#define NAP_MAX_NS 500000

/* Waits a moment for the lock to look free. What its word was: 1, it was not taken. */
static uint32_t
spin(struct wf_lock *l)
{
	for (int i = 0; i < SPIN_ROUNDS; i++)
		wf_cpu_relax();
	if (wf_load_relaxed(&l->word) == 1)
		return 1;
	return wf_xchg_acquire(&l->word, 1u);				/* L1 */
}

WF_COLD uint32_t
wf_lock_slow(struct wf_lock *l)
    WF_HANDS_OVER("spin() takes it")
{
	int64_t nap = NAP_MIN_NS;
	uint32_t old;

	for (int i = 0; (old = spin(l)) == 1; i++) {
		if (i < YIELDS) {
			wf_os_thread_yield();
			continue;
		}
		/* Not a wait for a wake: the word is named so that a free lock is not slept on. */
		(void)wf_os_futex_wait(&l->word, 1, wf_os_now() + nap);
		nap = wf_min(2 * nap, (int64_t)NAP_MAX_NS);
	}
	return old;
}
