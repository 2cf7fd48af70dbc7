/*
 * The idle protocol, the side of those who bring work: waking a thread, handing a P over.
 * README.md, "Going idle, and being woken", steps A1-A3 and R1-R3.
 */
#include "sched/pick.h"

#include "os/os.h"

/* Takes an idle P for a thread that will spin, and starts one on it. n_spinning was counted up. */
static void
start_spinner(void)
{
	struct p *p;

	wf_lock(&wf_sched.lock);
	p = wf_p_get_idle_locked(NULL);
	if (p == NULL) {
		/* Under the lock: whoever gives a P up from now on (S1) has not looked yet (S4). */
		(void)wf_sub_seqcst(&wf_sched.n_spinning, 1);
		wf_store_relaxed(&wf_sched.needspinning, 1);	/* a hint */
	}
	wf_unlock(&wf_sched.lock);
	if (p != NULL)
		wf_m_start(p, true);
}

/*
 * Work was published (A1), by a seq_cst exchange or followed by a full fence (A2). Wakes a thread
 * unless one is looking already, or no P is idle: then whoever holds a P comes by.
 */
void
wf_wake_one(void)
{
	/* A hint: who is missed here looks again soon by itself (K3). */
	if (SPIN_NAP_NS != 0 && wf_unlikely(wf_load_relaxed(&wf_sched.nap) != 0) &&
	    wf_xchg_relaxed(&wf_sched.nap, 0u) != 0)
		(void)wf_os_futex_wake(&wf_sched.nap, 1);			/* K5 */
	wf_wake_one_for_next();
}

/* The rest of wf_wake_one_for_next(): nobody looks for work, and a P is idle. */
WF_COLD void
wf_wake_idle(void)
{
	uint32_t zero = 0;

	WF_POINT("wake.saw_idle");
	if (wf_cas_seqcst(&wf_sched.n_spinning, &zero, 1u))		/* A3 */
		start_spinner();
}

/*
 * Is there anything for somebody else to do? Work; or to wait in the poller, where nobody does. All
 * looks are seq_cst, or behind a fence: step R3.
 */
static bool
another_is_wanted(void)
{
	if (wf_load_seqcst(&wf_sched.n_idle_p) == 0)
		return true;
	wf_fence_owners();						/* R3 */
	if (wf_has_work(0))
		return true;
	wf_fence_seqcst();						/* V3 */
	return wf_load_seqcst(&wf_sched.last_poll) != 0 &&
	    (wf_poll_nwaiters() != 0 || wf_timers_next_all() != INT64_MAX);
}

/* The M has found work: somebody else must look on (R1-R3). */
void
wf_stop_spinning(struct m *m)
{
	WF_POINT("spin.found");
	wf_store_relaxed(&m->is_spinning, 0);
	(void)wf_sub_seqcst(&wf_sched.n_spinning, 1);			/* R1, R2 */
	if (another_is_wanted())
		wf_wake_one();						/* R3 */
}

/*
 * May the M look for work at other Ps? At most half as many lookers as there are busy Ps, so that
 * they do not burn more than they find. force: it has been told that there is work.
 */
bool
wf_start_spinning(struct m *m, bool force)
{
	uint32_t spinning = wf_load_relaxed(&wf_sched.n_spinning);
	uint32_t busy = wf_load_relaxed(&wf_sched.gomaxprocs) - wf_load_relaxed(&wf_sched.n_idle_p);

	if (wf_load_relaxed(&m->is_spinning))
		return true;
	if (!force && 2 * spinning >= busy)
		return false;
	wf_store_relaxed(&m->is_spinning, 1);
	(void)wf_add_seqcst(&wf_sched.n_spinning, 1);
	return true;
}

/*
 * S3 and R3 for the holders of rings that are their own: they bring work without a fence, so it is
 * put into them. Ours has been there already: S1, S2 or R1.
 */
void
wf_fence_owners(void)
{
	uint32_t n = wf_min(wf_load_acquire(&wf_sched.n_p), OWN_PROCS_MAX);

	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);

		if (wf_load_seqcst(&p->runq.own) == RUNQ_SHARED)
			continue;
		if (wf_os_membarrier() == 0)
			return;
		wf_refuse_own(p);
	}
}

/* membarrier(2) worked once, and is refused now: what p's holder has to itself it must share. */
WF_COLD void
wf_refuse_own(struct p *p)
{
	wf_store_relaxed(&wf_sched.is_own_refused, 1);
	wf_store_relaxed(&p->preempt, PREEMPT_SHARE);
}

/* Is there anything a thread with a P could do? All looks are seq_cst: step S4. */
bool
wf_has_work(int64_t now)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);

	if (wf_load_seqcst(&wf_sched.runq_len) != 0)
		return true;
	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);

		/* X3: a ring that nobody may steal from is no work for others. */
		if ((n == 1 || wf_load_seqcst(&p->runq.is_alone) == 0) && !runq_is_empty(&p->runq))
			return true;
		if (now != 0 && wf_load_seqcst(&p->timers.next) <= now)
			return true;
	}
	return false;
}

/* A P without an M, taken from a blocked thread: give it to a thread if there is any reason. */
void
wf_hand_off(struct p *p)
{
	uint32_t zero = 0;
	int64_t next;

	WF_PROBE1(handoff, p->id);
	metrics_add(&wf_sched.n_hand_offs);
	if (!runq_is_empty(&p->runq) || wf_load_seqcst(&wf_sched.runq_len) != 0) {
		wf_m_start(p, false);
		return;
	}
	if (wf_load_seqcst(&wf_sched.n_spinning) + wf_load_seqcst(&wf_sched.n_idle_p) == 0 &&
	    wf_cas_seqcst(&wf_sched.n_spinning, &zero, 1u)) {
		wf_store_relaxed(&wf_sched.needspinning, 0);
		wf_m_start(p, true);
		return;
	}
	WF_POINT("handoff.looked");
	wf_lock(&wf_sched.lock);
	if (wf_p_must_retire(p)) {
		wf_unlock(&wf_sched.lock);
		wf_p_retire(p);
		return;
	}
	/* The last P to go idle while nobody waits in the poller: somebody should. */
	if (wf_sched.runq.n != 0 ||
	    (wf_load_relaxed(&wf_sched.n_idle_p) + 1 == wf_load_relaxed(&wf_sched.gomaxprocs) &&
	    wf_load_seqcst(&wf_sched.last_poll) != 0)) {
		wf_unlock(&wf_sched.lock);
		wf_m_start(p, false);
		return;
	}
	next = wf_load_relaxed(&p->timers.next);
	wf_p_put_idle_locked(p);					/* S1 */
	wf_unlock(&wf_sched.lock);
	wf_fence_owners();						/* S3 */
	if (wf_has_work(0))						/* S4 */
		wf_wake_one();
	if (next != INT64_MAX)
		wf_wake_poller(next);
	wf_want_poller();
}

/* There is a timer for `when`: the thread in the poller must not sleep past it. */
void
wf_wake_poller(int64_t when)
{
	if (wf_load_seqcst(&wf_sched.last_poll) == 0) {			/* T2 */
		if (when < wf_load_seqcst(&wf_sched.poll_until))
			wf_poll_wake();
	} else if (wf_load_seqcst(&wf_sched.n_idle_p) != 0) {
		wf_wake_one();
	}
}

/*
 * A goroutine waits in the poller, and the thread it is on will not look for work: if no thread is
 * there and none looks for work, an idle P's must go (V1, V2).
 */
void
wf_want_poller(void)
{
	if (wf_poll_nwaiters() == 0)
		return;
	WF_POINT("poll.counted");
	wf_fence_seqcst();						/* V1 */
	if (wf_load_seqcst(&wf_sched.last_poll) != 0)
		wf_wake_one();						/* V2 */
}
