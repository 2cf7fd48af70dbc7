/*
 * Calls that are known to block. README.md, "Detach", "Marked calls".
 *
 * Every goroutine in user code can lose its P to the monitor anyway, so the marks need no state
 * change of the goroutine and no atomic instruction: they tell the monitor not to look twice.
 * (Go 1.26: one CAS on the goroutine each way.)
 */
#include <weft/go.h>
#include "sched/sched.h"

#define ROOM_TO_START 8192	/* of stack, to start a thread from there */

/*
 * Marked calls have been sleeping: does this one better give its P away at once? Only if there is
 * work that nobody else would take. Who takes the gifts back meanwhile, wins.
 */
static WF_NOINLINE void
give_up_if_wanted(struct m *m)
{
	uint32_t left = wf_load_relaxed(&wf_sched.gifts_left);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (m->p == NULL || left == 0 || m->locked_g != NULL ||
	    wf_load_relaxed(&wf_sched.was_refused) ||
	    (runq_is_empty(&m->p->runq) && wf_load_relaxed(&wf_sched.runq_len) == 0) ||
	    wf_load_relaxed(&wf_sched.n_idle_p) != 0 ||
	    here - wf_load_relaxed(&m->gate.g->stack_lo) < ROOM_TO_START)
		return;
	if (wf_cas_relaxed(&wf_sched.gifts_left, &left, left - 1))
		wf_give_up_p(m);
}

static WF_ALWAYS_INLINE void
mark(struct m *m)
{
	wf_store_relaxed(&m->gate.syscall_tick,
	    (uint8_t)(wf_load_relaxed(&m->gate.syscall_tick) + 1));
	wf_store_relaxed(&m->gate.in_syscall, 1);
	WF_EVENT(syscall, m);
	/* Work is waiting, and the monitor would not look for a while: let it. */
	if (m->p != NULL && wf_load_relaxed(&wf_sched.monitor_is_slow) &&
	    !runq_is_empty(&m->p->runq))
		wf_monitor_wake();
	if (wf_unlikely(wf_load_relaxed(&wf_sched.gifts_left) != 0))
		give_up_if_wanted(m);
}

void
weft_syscall_enter(void)
{
	mark(wf_enter());
	wf_leave();
}

void
weft_syscall_exit(void)
{
	struct m *m = wf_self();

	if (m != NULL)
		wf_store_relaxed(&m->gate.in_syscall, 0);
	m = wf_enter();
	WF_EVENT(syscall_end, m);
	wf_leave();
}

void
wf_blocking_begin(void)
{
	mark(wf_self());
	wf_leave();
}

WF_PARKS void
wf_blocking_end(void)
{
	struct m *m;

	wf_store_relaxed(&wf_self()->gate.in_syscall, 0);
	m = wf_enter();
	WF_EVENT(syscall_end, m);
}
