/*
 * Putting goroutines on run queues, and taking them off the global one.
 */
#include "sched/pick.h"

static void
global_changed_locked(void)
    WF_HOLDS(wf_sched.lock)
{
	/* seq_cst: the publish of the idle protocol (A1) when work goes to the global queue. */
	wf_store_seqcst(&wf_sched.runq_len, wf_sched.runq.n);
}

void
wf_global_put_all_locked(struct gqueue *q)
{
	gqueue_append(&wf_sched.runq, q);
	global_changed_locked();
}

void
wf_global_put(struct g *g)
{
	wf_lock(&wf_sched.lock);
	gqueue_put(&wf_sched.runq, g);
	global_changed_locked();
	wf_unlock(&wf_sched.lock);
}

/* The ring is full: the oldest of it and g go to the global queue. */
WF_COLD void
wf_runq_overflow(struct p *p, struct g *g)
{
	struct g *batch[RUNQ_BATCH];
	struct gqueue q = { 0 };
	uint32_t n = runq_grab(&p->runq, batch);

	metrics_count(&p->metrics.n_overflows);
	for (uint32_t i = 0; i < n; i++)
		gqueue_put(&q, batch[i]);
	gqueue_put(&q, g);
	wf_lock(&wf_sched.lock);
	wf_global_put_all_locked(&q);
	wf_unlock(&wf_sched.lock);
}

/*
 * Takes a fair share of the global queue: the first is returned, the rest goes to p's ring. At
 * most max; 0 = what is fair. p's ring has room for them.
 */
struct g *
wf_global_take_locked(struct p *p, uint32_t max)
{
	uint32_t n = wf_sched.runq.n;
	struct g *first;

	if (n == 0)
		return NULL;
	n = wf_min(n, n / wf_load_relaxed(&wf_sched.gomaxprocs) + 1);
	n = wf_min(n, RUNQ_BATCH);
	if (max != 0)
		n = wf_min(n, max);
	first = gqueue_take(&wf_sched.runq);
	while (--n > 0) {
		struct g *g = gqueue_take(&wf_sched.runq);

		if (!runq_put(&p->runq, g)) {
			gqueue_put(&wf_sched.runq, g);
			break;
		}
	}
	global_changed_locked();
	return first;
}

/*
 * Makes all of q runnable and lets idle Ps know. They are claimed and waiting; the caller may
 * have no P.
 */
void
wf_inject(struct gqueue *q, enum wf_inject_where where)
{
	struct p *p = wf_self()->p;
	struct gqueue global = { 0 };
	struct g *g;
	uint32_t n = 0;

	if (where == INJECT_IN_TURN && wf_load_relaxed(&wf_sched.runq_len) != 0)
		p = NULL;
	while ((g = gqueue_take(q)) != NULL) {
		if (wf_load_relaxed(&g->flags) & GF_BOUND) {
			wf_ready(g);
			continue;
		}
		if (wf_load_relaxed(&g->status) == G_WAITING)	/* not new */
			WF_EVENT(ready, wf_self(), g);
		wf_store_relaxed(&g->status, G_RUNNABLE);
		WF_PROBE1(ready, WF_PROBE_U64(&g->id));
		if (p != NULL)
			metrics_ready(p, g);
		if (p == NULL || !runq_put(&p->runq, g))
			gqueue_put(&global, g);
		n++;
	}
	if (global.head != NULL) {
		wf_lock(&wf_sched.lock);
		wf_global_put_all_locked(&global);
		wf_unlock(&wf_sched.lock);
	}
	if (n == 0)
		return;
	if (p != NULL && p->newest_first)
		wf_pick_in_turn(p);						/* E3 */
	wf_fence_seqcst();						/* A2 */
	wf_wake_one();
}
