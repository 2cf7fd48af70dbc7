/*
 * From one stack to another: the commits that are rare, a thread's own stack, and the loop that
 * runs there. The everyday half, and the rule that all of it keeps, is in switch.h.
 */
#include "sched/switch.h"

#include "sched/scope_hook.h"

#include <errno.h>

/* The end of commit_park() for a wait that has several wakers. */
WF_NOINLINE void
wf_commit_complex(const struct commit *pending)
{
	/* A copy: once the unlock or the timer is out, the frame it points into may be gone. */
	struct commit c = *pending;
	struct g *g = c.g;
	bool cancelled = false;

	/* seq_cst: the other half is wf_cancel_wait, which marks and then reads (W6). */
	wf_store_seqcst(&g->wait, c.ticket);
	commit_unlock(&c);
	WF_POINT("park.published");
	if (c.timer != NULL)
		wf_timer_arm(c.timer, c.deadline);
	WF_POINT("park.armed");
	if (c.cancellable && wf_scope_is_cancelled(g->scope))			/* W6 */
		cancelled = wf_claim_ticket(g, c.ticket, -ECANCELED);
	/* W3: release -> acquire in await_commit: the timer is armed, g's frame its own again. */
	wf_store_release(&g->committing, 0);
	if (cancelled)
		wf_ready(g);
}

WF_NOINLINE void
wf_commit_global(struct g *g)
{
	wf_store_relaxed(&g->status, G_RUNNABLE);
	wf_global_put(g);
	wf_fence_seqcst();						/* A2 */
	wf_wake_one();
}

WF_PARKS WF_COLD void
wf_cross_amid_catch(struct m *m, struct side from, struct side to)
{
	struct wf_os_exceptions taken;

	take_exceptions(m, &taken);
	m = cross_bare(m, from, to, false);
	*m->exceptions = taken;
	run_commit(m);
}

/* From a goroutine to the thread's own stack, where the scheduler looks further. */
WF_PARKS void
wf_switch_to_g0(struct m *m, struct g *from)
{
	if (m->p != NULL)	/* else it has left already, when its P was taken */
		WF_EVENT(leave, m, from, how_it_leaves(m));
	m->gate.g = NULL;
	cross(m, side_of_g(from), side_of_g0(m));
}

/* From the thread's own stack into a goroutine. Returns when some goroutine on m gives up. */
static WF_PARKS void
run(struct m *m, struct g *g)
{
	if (wf_unlikely(g->ctx.pc == 0 && !wf_prepare_first_run(m, g))) {
		wf_starve(g);
		return;
	}
	WF_EVENT(run, m, g);
	enter_g(m, g);
	cross(m, side_of_g0(m), side_of_g(g));
}

/* The loop of a thread, on its own stack. Returns when the thread is to end. */
void
wf_schedule(struct m *m)
{
	for (;;) {
		struct g *g;

		if (m->is_exiting && m->p != NULL)
			wf_hand_off(wf_p_release(m));
		if (m->locked_g != NULL) {
			wf_stop_locked(m);
			g = m->locked_g;
		} else if ((g = m->picked) != NULL) {
			m->picked = NULL;
		} else if ((g = wf_find_runnable(m)) == NULL) {
			return;
		}
		if (wf_load_relaxed(&g->locked) != 0 && g->m != m)
			wf_start_locked(m, g);
		else
			run(m, g);
	}
}

/* Where the scheduler begins on a stack made for it: the process's first thread. */
void
wf_g0_main(void *carry)
{
	struct m *m = carry;

#ifdef WF_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	run_commit(m);
	wf_schedule(m);
	wf_m_exit(m);
}
