/*
 * The own P's queue: putting a goroutine there, picking the next, and the look whether somebody
 * should be woken for it. This is what every switch does, so it is inline; what is rare is in
 * pick.c, queue.c and wake.c. README.md, "Finding work" and "Going idle, and being woken".
 */
#ifndef WEFT_SCHED_PICK_H
#define WEFT_SCHED_PICK_H

#include "sched/sched.h"

/* ---- Waking: wake.c ---- */

void wf_wake_idle(void);

/*
 * All that was published (A1, A2) is what this P runs next. Wakes a thread unless one is looking
 * already, or no P is idle: then whoever holds a P comes by.
 */
static WF_ALWAYS_INLINE void
wf_wake_one_for_next(void)
{
	if (wf_load_seqcst(&wf_sched.n_spinning) != 0)			/* A3 */
		return;
	if (wf_unlikely(wf_load_seqcst(&wf_sched.n_idle_p) != 0))	/* A3 */
		wf_wake_idle();
	else if (wf_load_relaxed(&wf_sched.needspinning) == 0)
		wf_store_relaxed(&wf_sched.needspinning, 1);	/* a hint */
}

/* ---- Putting: queue.c ---- */

/* The ring is full: the oldest of it and g go to the global queue. */
void wf_runq_overflow(struct p *p, struct g *g);

/*
 * Puts g on p's queue, to run next or last. Owner of p only. With next this is A1 and A2 of the
 * idle protocol, also for the goroutine that was to run next and is last now. Returns whether the
 * ring or the global queue got one.
 */
static WF_ALWAYS_INLINE bool
wf_runq_put(struct p *p, struct g *g, bool next)
{
	if (next) {
		g = runq_put_next(&p->runq, g);
		if (g == NULL)
			return false;
	}
	if (wf_unlikely(!runq_put(&p->runq, g)))
		wf_runq_overflow(p, g);
	if (next && !runq_is_alone(&p->runq))
		wf_fence_seqcst();					/* A2 */
	return true;
}

/*
 * Puts g, which is the caller's, where its P runs it next, or on the global queue when there is no
 * P, and sees that somebody comes for it (W5).
 */
static WF_ALWAYS_INLINE void
wf_put_ready(struct m *m, struct g *g)
{
	WF_PROBE1(ready, WF_PROBE_U64(&g->id));
	if (wf_likely(m->p != NULL)) {
		metrics_ready(m->p, g);
		if (wf_likely(!wf_runq_put(m->p, g, true))) {		/* A1, A2 by Q4 */
			wf_wake_one_for_next();				/* A3 */
			return;
		}
	} else {
		wf_global_put(g);					/* A1 */
		wf_fence_seqcst();					/* A2 */
	}
	wf_wake_one();							/* A3 */
}

/* ---- Picking: pick.c ---- */

/* Runs what is due of p's timers. */
void wf_run_timers(struct p *p, int64_t now);
/* What a busy P does now and then, so that the network and timers do not starve (W4, W6). */
void wf_look_around(struct p *p);
/* From the global queue, at most max, or a fair share (0); all but the first go to p's ring. */
struct g *wf_take_global(struct p *p, uint32_t max);
struct g *wf_pick_special(struct m *m);
/*
 * A goroutine was started that is the RUNQ_CROWD-th of p's ring, or later: the newest come first
 * from now on (E1). Returns whether the ring is full: who fills it must yield.
 */
bool wf_pick_crowded(struct p *p);

/* All that are in p's ring now run in their order before the newest come first again (E3). */
static inline void
wf_pick_in_turn(struct p *p)
{
	p->newest_first = false;
	p->round_end = wf_load_relaxed(&p->runq.tail);
}

void wf_pick_shuffle(struct p *p);

/* Is p one too many? Its holder gives it up when it next looks for work. */
static WF_ALWAYS_INLINE bool
wf_p_must_retire(const struct p *p)
{
	return p->id >= wf_load_relaxed(&wf_sched.gomaxprocs);
}

/* Will the next wf_pick_local() ask the poller and the timers? They take objects' locks. */
static WF_ALWAYS_INLINE bool
wf_pick_would_look(const struct p *p)
{
	return (wf_load_relaxed(&p->picks) + 1) % POLL_PICKS == 0;
}

/* The same, and g's stack, on which the caller is, has no room for that: the thread's own has. */
static WF_ALWAYS_INLINE bool
wf_pick_needs_room(const struct p *p, const struct g *g)
{
	return wf_unlikely(g->stack_class == WEFT_STACK_SMALL) && wf_pick_would_look(p);
}

/* Is anything due, or wanted, but the next of the queue? Then wf_pick_special() comes first. */
static WF_ALWAYS_INLINE bool
pick_is_special(struct p *p, uint32_t picks)
{
	return picks % POLL_PICKS == 0 || (wf_load_relaxed(&p->preempt) | p->newest_first) != 0 ||
	    wf_load_relaxed(&p->schedtick) % GLOBAL_TICK == GLOBAL_TICK - 1 ||
	    (runq_is_alone(&p->runq) && wf_load_relaxed(&wf_sched.n_p) > 1);
}

/*
 * Asks the caches for what those next in the ring touch first: their records, then their stacks
 * where they were left. Of thousands that take turns none is near. A hint: thieves may have taken
 * them, which leaves the records readable. Owner only.
 */
static WF_ALWAYS_INLINE void
pick_prefetch(struct runq *q)
{
#ifndef WF_SMALL
	uint32_t h = wf_load_relaxed(&q->head);
	const char *far;

	if (wf_load_relaxed(&q->tail) - h <= PREFETCH_AHEAD)
		return;
	far = (const char *)wf_load_relaxed(&q->slot[(h + PREFETCH_AHEAD) % RUNQ_CAP]);
	for (size_t at = 0; at < sizeof(struct g); at += 64)
		wf_prefetch(far + at);
	wf_ctx_prefetch(&wf_load_relaxed(&q->slot[(h + 1) % RUNQ_CAP])->ctx);
#else
	(void)q;
#endif
}

/*
 * The next goroutine of the own P, or of the global queue when it is its turn; NULL when there is
 * none at hand. Never blocks, cheap: also called on the stack of a goroutine that is leaving.
 */
static WF_ALWAYS_INLINE struct g *
wf_pick_local(struct m *m)
{
	struct p *p = m->p;
	uint32_t picks = wf_load_relaxed(&p->picks) + 1;
	struct g *g;

	if (wf_unlikely(wf_p_must_retire(p)))
		return NULL;
	wf_store_relaxed(&p->picks, picks);
	if (WF_PERTURB(2))
		wf_pick_shuffle(p);
	if (wf_unlikely(pick_is_special(p, picks)) && (g = wf_pick_special(m)) != NULL)
		goto new_slice;
	if ((g = runq_take_next(&p->runq)) != NULL) {
		if (SPIN_NAP_NS != 0)
			wf_store_relaxed(&p->hand_overs, wf_load_relaxed(&p->hand_overs) + 1);
		return g;
	}
	if ((g = runq_take_own(&p->runq)) == NULL && (g = wf_take_global(p, 0)) == NULL)
		return NULL;
	pick_prefetch(&p->runq);
new_slice:
	wf_store_relaxed(&p->schedtick, wf_load_relaxed(&p->schedtick) + 1);
	return g;
}

#endif /* WEFT_SCHED_PICK_H */
