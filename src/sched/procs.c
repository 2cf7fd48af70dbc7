/*
 * Ps: made, idle, held, retired. They are added and taken away one by one, without stopping the
 * world (Go: procresize). README.md, "States of a P".
 */
#include <weft/go.h>
#include "sched/pick.h"

#include "os/os.h"
#include "sched/slot.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(WF_SLOTS_OF_PS == PROCS_MAX, "one for each");

/* A new P, or NULL. Under sched.lock. */
static struct p *
new_p_locked(void)
    WF_HOLDS(wf_sched.lock)
{
	uint32_t id = wf_load_relaxed(&wf_sched.n_p);
	struct p *p = aligned_alloc(WF_CACHELINE, sizeof(*p));

	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->id = id;
	wf_store_relaxed(&p->status, P_DEAD);
	wf_timers_init(&p->timers);
	wf_store_relaxed(&p->runq.is_alone, id == 0);
	/* P-ALL: release -> acquire of n_p: whoever sees the count sees the P. */
	wf_store_release(&wf_sched.all_p[id], p);
	wf_store_release(&wf_sched.n_p, id + 1);
	return p;
}

void
wf_p_put_idle_locked(struct p *p)
{
	if (wf_load_relaxed(&p->runq.own) != RUNQ_SHARED)
		runq_own(&p->runq, false, wf_load_relaxed(&p->picks));	/* O5 */
	wf_store_relaxed(&p->status, P_IDLE);
	p->idle_next = wf_sched.idle_p;
	wf_sched.idle_p = p;
	/* M1: release in S1 -> acquire in all_idle(): the monitor knows that somebody ran. */
	wf_store_relaxed(&wf_sched.went_idle, 1);
	(void)wf_add_seqcst(&wf_sched.n_idle_p, 1);			/* S1 */
}

/* An idle P, prefer if it is one, or NULL. It is then the caller's. */
struct p *
wf_p_get_idle_locked(struct p *prefer)
{
	struct p **at = &wf_sched.idle_p, *p;

	if (prefer != NULL && wf_load_relaxed(&prefer->status) == P_IDLE)
		for (at = &wf_sched.idle_p; *at != NULL && *at != prefer; at = &(*at)->idle_next)
			;
	if (*at == NULL)
		at = &wf_sched.idle_p;
	if ((p = *at) == NULL)
		return NULL;
	*at = p->idle_next;
	p->idle_next = NULL;
	(void)wf_sub_seqcst(&wf_sched.n_idle_p, 1);
	/* Not idle any more, and not running before an M holds it: only its taker knows it. */
	wf_store_relaxed(&p->status, P_RUNNING);
	if (wf_load_seqcst(&wf_sched.monitor_is_deep)) {
		/* It kept no time meanwhile: waits that begin now would seem old. */
		wf_store_relaxed(&wf_sched.now_coarse, wf_os_now());
		wf_monitor_wake();
	}
	return p;
}

/* The M, which has none, takes p, which nobody else knows. */
void
wf_p_acquire(struct m *m, struct p *p)
{
	WF_CHECK(m->p == NULL);
	WF_EVENT(p_start, m, p);
	wf_p_take(m, p);
}

/* Likewise, without a word to those who listen. */
void
wf_p_take(struct m *m, struct p *p)
{
	m->p = p;
	wf_store_relaxed(&m->gate.p_number, p->id + 1);
	wf_store_relaxed(&p->status, P_RUNNING);
	wf_store_release(&p->m, m);					/* D4 reads it */
}

/* The M gives its P up; the caller has it. */
struct p *
wf_p_release(struct m *m)
{
	struct p *p = m->p;

	WF_CHECK(p != NULL);
	WF_EVENT(p_stop, m, p);
	m->p = NULL;
	wf_store_relaxed(&m->gate.p_number, 0u);
	wf_store_release(&p->m, NULL);
	return p;
}

uint32_t
wf_slot(void)
{
	const struct m *m = wf_self();

	return m->p != NULL ? m->p->id : WF_SLOTS_OF_PS + m->id % WF_SLOTS_SHARED;
}

uint32_t
wf_slots_of_ps(void)
{
	return wf_load_acquire(&wf_sched.n_p);				/* P-ALL */
}

bool
wf_has_membarrier(void)
{
	return wf_sched.has_membarrier;
}

/*
 * p was beyond gomaxprocs and is the caller's, who holds no lock: what it has goes to others. Its
 * runnable goroutines to the global queue, its timers to P 0, which is never retired. Not under
 * sched.lock: that one is taken by goroutines that park, with the lock of their object held,
 * which a timer that fires takes under the lock of its heap.
 */
void
wf_p_retire(struct p *p)
{
	struct gqueue q = { 0 };
	struct g *g;

	wf_timers_move(&p->timers, &wf_load_relaxed(&wf_sched.all_p[0])->timers);
	while (p->n_stacks > 0)
		wf_stack_put(p->stacks[--p->n_stacks]);
	if (wf_load_relaxed(&p->runq.own) != RUNQ_SHARED)
		runq_own(&p->runq, false, wf_load_relaxed(&p->picks));	/* O5 */
	if ((g = runq_take_next(&p->runq)) != NULL)
		gqueue_put(&q, g);
	while ((g = runq_take(&p->runq)) != NULL)
		gqueue_put(&q, g);

	WF_POINT("procs.retiring");
	wf_lock(&wf_sched.lock);
	wf_global_put_all_locked(&q);
	/* It may be wanted again by now. */
	if (wf_p_must_retire(p))
		wf_store_relaxed(&p->status, P_DEAD);
	else
		wf_p_put_idle_locked(p);
	wf_unlock(&wf_sched.lock);
	wf_wake_one();
}

/* Takes one idle P that is too many off the list, or returns NULL. */
static struct p *
take_surplus(void)
{
	struct p **at, *p;

	wf_lock(&wf_sched.lock);
	for (at = &wf_sched.idle_p; (p = *at) != NULL && !wf_p_must_retire(p); at = &p->idle_next)
		;
	if (p != NULL) {
		*at = p->idle_next;
		(void)wf_sub_seqcst(&wf_sched.n_idle_p, 1);
		wf_store_relaxed(&p->status, P_RUNNING);
	}
	wf_unlock(&wf_sched.lock);
	return p;
}

/* Makes or revives Ps so that those below n exist. Returns how many there are. */
static uint32_t
add_ps_locked(uint32_t n)
    WF_HOLDS(wf_sched.lock)
{
	for (uint32_t i = 0; i < n; i++) {
		struct p *p = i < wf_load_relaxed(&wf_sched.n_p) ?
		    wf_load_relaxed(&wf_sched.all_p[i]) : new_p_locked();

		if (p == NULL)
			return i;
		if (wf_load_relaxed(&p->status) == P_DEAD)
			wf_p_put_idle_locked(p);
	}
	return n;
}

void
wf_procs_init(uint32_t n)
{
	wf_lock(&wf_sched.lock);
	wf_store_relaxed(&wf_sched.gomaxprocs, n);
	WF_CHECK(add_ps_locked(n) == n);
	if (n > 1)
		runq_share(&wf_load_relaxed(&wf_sched.all_p[0])->runq);	/* X1: nobody runs yet */
	wf_unlock(&wf_sched.lock);
}

/*
 * Changes the number of Ps to want, 1..PROCS_MAX, if it is the program that wants it, or if it has
 * left it to the machine's limits so far. Returns what it was.
 */
static uint32_t
change(uint32_t want, bool by_program)
{
	uint32_t old, added;

	wf_lock(&wf_sched.lock);
	old = wf_load_relaxed(&wf_sched.gomaxprocs);
	if (by_program)
		wf_sched.follows_limit = false;
	else if (!wf_sched.follows_limit)
		want = old;
	if (want > old) {
		wf_store_relaxed(&wf_sched.gomaxprocs, want);
		added = add_ps_locked(want);
		/* Out of memory: as many as there are. */
		if (added < want)
			wf_store_relaxed(&wf_sched.gomaxprocs, wf_max(added, old));
	} else if (want < old) {
		wf_store_seqcst(&wf_sched.gomaxprocs, want);
	}
	wf_unlock(&wf_sched.lock);
	if (want == old)
		return old;
	for (struct p *p; (p = take_surplus()) != NULL;)
		wf_p_retire(p);
	if (wf_self()->p != NULL && wf_load_relaxed(&wf_sched.n_p) > 1)
		runq_share(&wf_self()->p->runq);			/* X2 */
	wf_monitor_wake();
	wf_fence_seqcst();						/* A2 */
	wf_wake_one();
	return old;
}

/* Once a second, by the monitor: has the cgroup limit or the affinity mask changed? */
void
wf_procs_follow_limit(void)
{
	bool follows;

	wf_lock(&wf_sched.lock);
	follows = wf_sched.follows_limit;
	wf_unlock(&wf_sched.lock);
	if (follows)
		(void)change(wf_min((uint32_t)wf_numcpu(), PROCS_MAX), false);
}

int
weft_gomaxprocs(int n)
{
	uint32_t old;

	(void)wf_enter();
	if (n < 1)
		old = wf_load_relaxed(&wf_sched.gomaxprocs);
	else
		old = change(wf_min((uint32_t)n, PROCS_MAX), true);
	if (n >= 1 && wf_sched.debug.lint)
		wf_lint_procs(wf_min((uint32_t)n, PROCS_MAX));
	wf_leave();
	return (int)old;
}
