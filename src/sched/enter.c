/*
 * The slow side of the gate: threads that weft sees for the first time, threads that lost their
 * P, children of fork(2). README.md, "Detach", D5 and D6; "Foreign threads".
 */
#include "sched/sched.h"

#include "os/moment.h"
#include "os/os.h"
#include "sched/panic.h"
#include "sched/self_set.h"
#include "sched/tags.h"

#define GIFT_WORTH_NS 50000	/* some ten times what it costs to come back without a P */

/*
 * The goroutine of a foreign thread ends with it: what it deferred runs now, outside all frames. If
 * pthread_exit(3) came in the middle of some, what lay in them is lost: the places where panics
 * land, and the first record in that memory with all that are older.
 */
static void
end_bound(struct g *g)
{
	uintptr_t lo = wf_load_relaxed(&g->stack_lo), hi = wf_load_relaxed(&g->stack_hi);
	struct wf_defer **at = &g->defers;

	g->tries = NULL;
	while (*at != NULL && ((uintptr_t)*at < lo || (uintptr_t)*at >= hi))
		at = &(*at)->next;
	*at = NULL;
	if (g->defers != NULL) {
		(void)wf_enter();
		wf_run_defers(g);
		wf_leave();
	}
}

/* A foreign thread ends: its M may serve another, and keeps nothing of this one. */
static void
foreign_ends(void *arg)
{
	struct m *m = arg;

	if (wf_load_relaxed(&m->gate.hold) == HOLD_FORKED)
		return;
	end_bound(&m->bound_g);
	wf_tags_drop(&m->bound_g);
	wf_store_relaxed(&m->gate.in_syscall, 0);
	wf_store_relaxed(&m->gate.in_runtime, 1);	/* to those who look, it does something */
	WF_EVENT(foreign_end, m);
	wf_os_sigaltstack_free(m->sigstack, SIGSTACK_BYTES);
	m->sigstack = NULL;
	wf_lock(&wf_sched.lock);
	wf_store_relaxed(&m->bound_g.status, G_DEAD);
	wf_store_relaxed(&m->tid, 0);
	m->gate.g = NULL;
	m->is_foreign = false;
	wf_sched.n_foreign--;
	wf_sched.n_foreign_servants -= m->is_servant;
	m->is_servant = false;
	m->idle_next = wf_sched.free_m;
	wf_sched.free_m = m;
	wf_check_dead_locked();
	wf_unlock(&wf_sched.lock);
	wf_self_set(NULL);
}

/* An M and a goroutine for a thread that weft did not start. They stay until it ends. */
struct m *
wf_adopt_foreign(void)
{
	struct m *m;
	struct g *g;
	uintptr_t lo = 0, hi = 0;
	int tries = 0;

	(void)wf_os_thread_stack(&lo, &hi);
	do {
		wf_lock(&wf_sched.lock);
		m = wf_m_new_locked();
		if (m != NULL) {
			m->is_foreign = true;
			wf_sched.n_foreign++;
		}
		wf_unlock(&wf_sched.lock);
	} while (m == NULL && wf_be_patient(&tries));
	if (m == NULL || wf_os_at_thread_exit(foreign_ends, m) != 0)
		wf_throw("out of memory for a thread that calls weft", __FILE__, __LINE__);
	wf_self_set(m);
	wf_store_relaxed(&m->tid, wf_os_tid());
	m->sigstack = wf_os_sigaltstack_new(SIGSTACK_BYTES);	/* to report an overflow */
	wf_store_relaxed(&m->gate.in_runtime, 1);

	g = &m->bound_g;
	g->m = m;
	wf_store_relaxed(&g->stack_lo, lo);
	wf_store_relaxed(&g->stack_hi, hi);
	wf_store_relaxed(&g->id, wf_goid_new(m));
	wf_store_relaxed(&g->flags, GF_BOUND);
	wf_store_relaxed(&g->since, wf_os_now());
	m->gate.g = g;
	wf_store_relaxed(&m->trace.own_p, 0);
	WF_EVENT(adopt, m);
	/* From here on it is there for those who go through all goroutines. */
	wf_store_release(&g->status, G_RUNNING);
	return m;
}

void
wf_servant_enters(void)
{
	struct m *m = wf_enter();

	/* Meanwhile it counts twice, but once as a foreign thread that runs: nothing is dead. */
	wf_lock(&wf_sched.lock);
	wf_sched.n_service--;
	m->is_servant = true;
	wf_sched.n_foreign_servants++;
	wf_check_dead_locked();
	wf_unlock(&wf_sched.lock);
	wf_leave();
}

/*
 * A thread that computed has a lower priority. Without privilege that can't be undone: then it
 * takes
 * no P again, and ends when its goroutine has left it. One that its goroutine is locked to can't be
 * left: it stays as it is, and is not lowered again.
 */
static bool
restore_priority(struct m *m)
{
	if (!wf_load_relaxed(&m->is_hog))
		return true;
	if (wf_os_thread_nice(wf_load_relaxed(&m->tid), -HOG_NICE) == 0) {
		wf_store_relaxed(&m->is_hog, 0);
		return true;
	}
	if (m->locked_g != NULL)
		return true;
	m->is_exiting = true;
	return false;
}

/* The thread gave its P away for a call. Was that too short to be worth it? Then no more of it. */
static void
judge_gift(struct m *m)
{
	if (wf_os_now() - m->gave_at < GIFT_WORTH_NS)
		wf_store_relaxed(&wf_sched.gifts_left, 0);
	m->gave_at = 0;
}

/*
 * This thread has lost its P while its goroutine was outside: the monitor took it, or it gave it
 * away. It needs one again: its old one or any that is idle, else it queues up, and goes on on
 * another thread (D6).
 */
static WF_PARKS struct m *
reattach(struct m *m)
{
	struct g *g = m->gate.g;
	struct p *p;

	if (m->gave_at != 0)
		judge_gift(m);
	wf_store_relaxed(&m->is_detached, 0);
	(void)wf_sub_relaxed(&wf_sched.n_detached, 1);
	/* Ours again: the monitor disputes only what has a P. */
	wf_store_relaxed(&m->gate.hold, wf_sched.has_membarrier ? HOLD_NONE : HOLD_FENCED);
	p = NULL;
	if (restore_priority(m)) {
		wf_lock(&wf_sched.lock);
		p = wf_p_get_idle_locked(m->last_p);
		wf_unlock(&wf_sched.lock);
	}
	WF_EVENT(reattach, m, g, p);
	if (p != NULL) {
		wf_p_take(m, p);
		return m;
	}
	WF_POINT("enter.no_p");
	m->commit.kind = COMMIT_GLOBAL;
	m->commit.g = g;
	wf_switch_to_g0(m, g);
	return wf_self();
}

/*
 * The monitor is deciding. Steps back out: nothing has been touched yet, and a thread that calls
 * weft all the time would otherwise never be found outside. The verdict is a microsecond away,
 * unless the monitor was preempted.
 */
static void
await_verdict(struct m *m)
{
	wf_store_release(&m->gate.in_runtime, 0);			/* D3 */
	WF_POINT("enter.stepped_back");
	for (int i = 0; (wf_load_acquire(&m->gate.hold) & ~HOLD_FENCED) == HOLD_DETACHING; i++)
		wf_moment(i);
}

/* Locks may be held for ever by threads that are not there, and the lists are full of them. */
static WF_NORETURN WF_COLD void
refuse_forked(void)
{
	wf_crash_abort("weft: called in a child of fork(2)\n"
	    "Only exec or _exit are possible there: its threads do not exist in the child.\n"
	    "Start processes with weft_spawn(3), or fork before the first weft call.");
}

/*
 * D2 found something other than HOLD_NONE, or there is no M yet. Returns when this thread is
 * inside the runtime, with a P unless it is foreign.
 */
WF_PARKS struct m *
wf_enter_slow(struct m *m)
{
	uint8_t hold;

	if (m == NULL) {
		if (wf_load_relaxed(&wf_sched.is_forked))
			refuse_forked();
		wf_boot();
		m = wf_self();
		return m != NULL ? m : wf_adopt_foreign();
	}
	for (;;) {
		/* Without membarrier the entry itself orders D1 before D2. */
		wf_store_seqcst(&m->gate.in_runtime, 1);		/* D1 */
		wf_fence_seqcst();
		hold = wf_load_acquire(&m->gate.hold) & (uint8_t)~HOLD_FENCED;	/* D2 */
		if (hold != HOLD_DETACHING)
			break;
		await_verdict(m);
	}
	switch (hold) {
	case HOLD_DETACHED:
		return reattach(m);					/* D6 */
	case HOLD_FORKED:
		refuse_forked();
	default:
		return m;
	}
}
