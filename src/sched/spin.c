/*
 * Does spinning for a lock pay? For those who would otherwise park. Go: sync_runtime_canSpin.
 */
#include "sched/sched.h"

#include "os/os.h"

/* The affinity mask is asked once: a wrong answer costs a few microseconds of spinning. */
static bool
has_other_cpu(void)
{
	static _Atomic int cached;
	int n = wf_load_relaxed(&cached);	/* everybody would write the same */

	if (wf_unlikely(n == 0)) {
		n = wf_os_affinity_count();
		wf_store_relaxed(&cached, n);
	}
	return n > 1;
}

/* All it reads is a hint: relaxed, and stale when it is used. */
bool
wf_can_spin(void)
{
	struct p *p = wf_self()->p;
	uint32_t idle = wf_load_relaxed(&wf_sched.n_idle_p) + wf_load_relaxed(&wf_sched.n_spinning)
	    + (p != NULL);

	if (idle >= wf_load_relaxed(&wf_sched.gomaxprocs) || !has_other_cpu())
		return false;
	return p == NULL || runq_is_empty(&p->runq);
}
