/*
 * The slow halves of the runtime's lock. See lock.h.
 */
#include "sched/lock.h"

#include "os/os.h"

/* 30 rounds of a pause are about a microsecond: longer than nearly all holders hold. */
#define SPIN_ROUNDS 30

WF_COLD void
wf_lock_slow(struct wf_lock *l)
{
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		if (wf_load_relaxed(&l->word) == 0 && wf_trylock(l))
			return;
		wf_cpu_relax();
	}
	/* From here on we must leave 2 behind: we can't know whether others sleep. */
	while (wf_xchg_acquire(&l->word, 2u) != 0)			/* L1 */
		(void)wf_os_futex_wait(&l->word, 2, INT64_MAX);
}

WF_COLD void
wf_unlock_slow(struct wf_lock *l)
{
	(void)wf_os_futex_wake(&l->word, 1);
}
