/*
 * Taking a P from a thread whose goroutine is outside the runtime, and giving it away by a thread
 * whose goroutine is about to be. README.md, "Detach".
 *
 * An asymmetric Dekker: the thread's side (wf_enter, wf_leave in self.h) has no fence, the
 * monitor's has a membarrier, which costs it a microsecond and only when something is stuck.
 */
#include "sched/sched.h"

#include "os/os.h"

#ifndef WF_SMALL	/* else a test has set it */
/* About 10 us: a thread that sees D4 needs some hundred nanoseconds to step back. */
#define STEP_BACK_PAUSES 250
#endif

/*
 * Threads that compute without end must not starve those that hold Ps: they get a lower
 * priority. The first thread keeps its own, because it can't be replaced by another when that
 * can't be undone.
 */
static void
lower_priority(struct m *m)
{
	if (!m->is_main_thread && !wf_load_relaxed(&m->is_hog) &&
	    wf_os_thread_nice(wf_load_relaxed(&m->tid), HOG_NICE) == 0)
		wf_store_relaxed(&m->is_hog, 1);
}

/* p is m's no more: the goroutine goes on without. By who may, which says what comes of p. */
static void
part(struct m *m, struct p *p)
{
	m->p = NULL;
	wf_store_relaxed(&m->gate.p_number, 0u);
	m->last_p = p;
	wf_store_release(&p->m, NULL);
	wf_store_relaxed(&m->detached_at, wf_load_relaxed(&wf_sched.now_coarse));
	wf_store_relaxed(&m->is_detached, 1);
	(void)wf_add_relaxed(&wf_sched.n_detached, 1);
	/* The slice ends here, and what was held against it; the global queue keeps its turn. */
	wf_store_relaxed(&p->preempt,
	    wf_load_relaxed(&p->preempt) & (PREEMPT_GLOBAL | PREEMPT_SHARE));
}

void
wf_give_up_p(struct m *m)
{
	uint8_t quiet = wf_sched.has_membarrier ? HOLD_NONE : HOLD_FENCED, found = quiet;
	struct p *p = m->p;

	/*
	 * D7. Lost: the monitor is about to find this thread inside, and will look again. No order:
	 * nobody learns anything from it but that the P is disputed no more.
	 */
	if (!wf_cas_relaxed(&m->gate.hold, &found, (uint8_t)(HOLD_DETACHED | quiet)))
		return;
	WF_POINT("detach.given");
	WF_EVENT(give, m, p);
	/* Whoever has it next begins a slice of its own. */
	wf_store_relaxed(&p->schedtick, wf_load_relaxed(&p->schedtick) + 1);
	part(m, p);
	(void)wf_add_relaxed(&wf_sched.n_detach_blocked, 1);
	WF_PROBE3(detach, p->id, wf_load_relaxed(&m->tid), (int)true);
	wf_hand_off(p);
	/* What the hand-over took is not the call's. */
	m->gave_at = wf_os_now();
}

/*
 * Detaches p from m, which held it when it was judged: from nobody else, who would be taken for it.
 * False: m is inside the runtime, or was just there, or has p no more. Monitor only.
 */
bool
wf_detach(struct m *m, struct p *p, bool is_blocked)
{
	uint8_t quiet = wf_sched.has_membarrier ? HOLD_NONE : HOLD_FENCED;
	uint8_t found = quiet;
	bool outside;

	WF_POINT("detach.judged");
	if (!wf_cas_seqcst(&m->gate.hold, &found, (uint8_t)(HOLD_DETACHING | quiet)))	/* D4 */
		return false;
	WF_POINT("detach.announced");
	/* After it, either the M's D1 is seen below, or the M's D2 sees D4. */
	if (!wf_sched.has_membarrier) {
		wf_fence_seqcst();
	} else if (wf_os_membarrier() != 0) {
		/* Out of memory, say: nothing is known about the order, so nothing is taken. */
		wf_store_release(&m->gate.hold, quiet); /* D5: undo */
		return false;
	}
	/* One that just came in sees D4 and steps back out; one inside for longer stays. */
	for (int i = 0;; i++) {
		outside = wf_load_acquire(&m->gate.in_runtime) == 0;		/* D3 */
		if (outside || i == STEP_BACK_PAUSES)
			break;
		wf_cpu_relax();
	}
	if (!outside || m->p != p) {
		wf_store_release(&m->gate.hold, quiet); /* D5: undo */
		return false;
	}
	/* The M can't come in before the verdict: what it owned is ours. */
	WF_EVENT(detach, wf_self(), m, p);
	part(m, p);
	(void)wf_add_relaxed(is_blocked ? &wf_sched.n_detach_blocked : &wf_sched.n_detach_computing,
	    1);
	if (!is_blocked)
		lower_priority(m);
	p->seen_since = wf_load_relaxed(&wf_sched.now_coarse);
	WF_PROBE3(detach, p->id, wf_load_relaxed(&m->tid), (int)is_blocked);
	WF_POINT("detach.taken");
	wf_store_release(&m->gate.hold, (uint8_t)(HOLD_DETACHED | quiet)); /* D5: verdict */
	wf_hand_off(p);
	return true;
}
