/*
 * Goroutines locked to their threads (Go: LockOSThread). A locked thread runs only its goroutine,
 * which runs only there: when the goroutine parks, the thread gives its P away and sleeps; when
 * another thread picks the goroutine, it gives its own P to the locked one and goes idle.
 */
#include "sched/sched.h"

#include <weft/go.h>
#include "sched/panic.h"

/* The thread's goroutine has parked: waits until somebody brings a P for it. */
void
wf_stop_locked(struct m *m)
{
	if (m->p != NULL) {
		/* Already picked for us: no need to sleep. */
		if (m->picked == m->locked_g) {
			m->picked = NULL;
			return;
		}
		wf_hand_off(wf_p_release(m));
		WF_POINT("locked.handed_off");
	}
	wf_lock(&wf_sched.lock);
	if (wf_load_acquire(&m->note) == 0) {
		m->is_locked_idle = true;
		wf_sched.n_locked_idle++;
		wf_check_dead_locked();
	}
	wf_unlock(&wf_sched.lock);
	wf_m_sleep(m);
}

/* g, which is runnable, is locked to another thread: that one gets our P. */
void
wf_start_locked(struct m *m, struct g *g)
{
	/*
	 * The waker counts it as awake: it may be long until it runs, and it has work from now
	 * on.
	 */
	wf_lock(&wf_sched.lock);
	if (g->m->is_locked_idle) {
		g->m->is_locked_idle = false;
		wf_sched.n_locked_idle--;
	}
	g->m->next_p = wf_p_release(m);
	wf_note_wake(&g->m->note);
	wf_unlock(&wf_sched.lock);
}

void
weft_lock_thread(void)
{
	struct m *m = wf_enter();
	struct g *g = m->gate.g;
	uint32_t depth = wf_load_relaxed(&g->locked);

	if (!(wf_load_relaxed(&g->flags) & GF_BOUND)) {
		if (depth == UINT32_MAX)
			wf_panic("LockOSThread nesting overflow");
		wf_store_relaxed(&g->locked, depth + 1);
		m->locked_g = g;
	}
	wf_leave();
}

void
weft_unlock_thread(void)
{
	struct m *m = wf_enter();
	struct g *g = m->gate.g;
	uint32_t depth = wf_load_relaxed(&g->locked);

	if (depth > 0) {
		wf_store_relaxed(&g->locked, depth - 1);
		if (depth == 1)
			m->locked_g = NULL;
	}
	wf_leave();
}
