/*
 * Picking the next goroutine, the rare half: what a P does now and then although it is never out of
 * work, what the monitor wants of it, and the global queue. pick.h has the everyday half.
 * README.md, "Finding work" and "A P alone".
 */
#include "sched/pick.h"

#include "os/os.h"

/* Runs what is due of p's timers. */
void
wf_run_timers(struct p *p, int64_t now)
{
	struct gqueue ready = { 0 };

	(void)wf_timers_run(&p->timers, now, &ready);
	if (ready.head != NULL)
		wf_ready_all(&ready);
}

/* What a busy P does now and then, so that the network and timers do not starve (W4, W6). */
void
wf_look_around(struct p *p)
{
	bool is_full = runq_len_racy(&p->runq) > RUNQ_CAP / 2;

	if (wf_load_relaxed(&p->timers.next) != INT64_MAX)
		wf_run_timers(p, wf_os_now());
	/*
	 * Not while half of the ring is full: what a batch brings would push those that wait
	 * there out to the global queue, behind all that comes later. They stay in the
	 * kernel's list, in order. But not longer than a full ring takes to come round: it may
	 * be full for ever.
	 */
	if (is_full && ++p->looks_skipped < RUNQ_CAP / POLL_PICKS) {
		int64_t last = wf_load_relaxed(&wf_sched.last_poll);

		/*
		 * We shall ask soon: the monitor need not, it would put them on the global
		 * queue.
		 */
		if (last != 0)
			(void)wf_cas_acqrel(&wf_sched.last_poll, &last, wf_os_now());
		return;
	}
	p->looks_skipped = 0;
	if (wf_poll_nwaiters() > 0 && wf_load_relaxed(&wf_sched.last_poll) != 0 &&
	    wf_xchg_acquire(&wf_sched.polling, 1u) == 0) {
		int64_t last = wf_load_relaxed(&wf_sched.last_poll);
		struct gqueue q = { 0 };
		uint32_t n;

		wf_poll_wait(0, &q);
		wf_store_release(&wf_sched.polling, 0);
		metrics_count(&p->metrics.n_polls);
		WF_PROBE1(poll, q.n);
		WF_POINT("poll.asked");
		/* Unless a thread went to wait there meanwhile: that must stay known. */
		if (last != 0)
			(void)wf_cas_acqrel(&wf_sched.last_poll, &last, wf_os_now());
		WF_POINT("poll.told");
		if ((n = q.n) != 0) {
			/*
			 * Those on the global queue were first. A ring that is full for ever,
			 * though, hardly ever comes to it.
			 */
			wf_inject(&q, is_full ? INJECT_HERE : INJECT_IN_TURN);
			wf_poll_done(n);
		}
	}
}

struct g *
wf_take_global(struct p *p, uint32_t max)
{
	struct g *g;

	if (wf_load_relaxed(&wf_sched.runq_len) == 0)
		return NULL;
	wf_lock(&wf_sched.lock);
	g = wf_global_take_locked(p, max);
	wf_unlock(&wf_sched.lock);
	return g;
}

/*
 * The global queue's turn, although the ring is not empty. As many as come between two such turns,
 * so that both get on alike; fewer when the ring is half full, so that none is pushed out, or when
 * the newest come first, so that what they start does not pile up.
 */
static struct g *
take_global_in_turn(struct p *p)
{
	uint32_t n = runq_len_racy(&p->runq);

	n = !p->newest_first && n < RUNQ_CAP / 2 ? RUNQ_CAP / 2 - n : 1;
	return wf_take_global(p, wf_min(n, GLOBAL_TICK));
}

bool
wf_pick_crowded(struct p *p)
{
	uint32_t left = p->round_end - wf_load_relaxed(&p->runq.head);

	if (!p->newest_first && (left == 0 || left > RUNQ_CAP)) {
		p->newest_first = true;						/* E1 */
		p->newest_slices = 0;
		p->newest_until = wf_load_relaxed(&wf_sched.now_coarse) + SLICE_NS;
	}
	return runq_len_racy(&p->runq) >= RUNQ_CAP - 1;
}

/* The newest come first: the next of them, or NULL when it is the turn of others. */
static struct g *
take_newest(struct m *m, struct p *p)
{
	int64_t now = wf_load_relaxed(&wf_sched.now_coarse);
	struct g *g;

	if (m->commit.kind == COMMIT_YIELD) {
		wf_pick_in_turn(p);							/* E3 */
		return NULL;
	}
	if (wf_load_relaxed(&p->runq.runnext) != NULL)
		return NULL;
	if (now >= p->newest_until) {
		if (++p->newest_slices == NEWEST_SLICES) {
			wf_pick_in_turn(p);					/* E3 */
			return NULL;
		}
		p->newest_until = now + SLICE_NS;
		return runq_take_own(&p->runq);				/* E4 */
	}
	g = runq_take_newest(&p->runq);						/* E2 */
	p->newest_first = g != NULL;						/* E5 */
	return g;
}

/* Does what the monitor wants of the P. Returns a goroutine that is to run first, or NULL. */
static struct g *
obey(struct p *p)
{
	uint8_t wanted = wf_load_relaxed(&p->preempt);
	struct g *g;

	wf_store_relaxed(&p->preempt, 0);
	if (wf_unlikely(wanted & PREEMPT_SHARE)) {
		runq_own(&p->runq, false, wf_load_relaxed(&p->picks));
		wf_wake_one();						/* A3 */
	}
	if (wanted & PREEMPT_NEXT) {
		/* The slice of what runs from runnext is over: what is there waits its turn. */
		wf_pick_in_turn(p);
		if ((g = runq_take_next(&p->runq)) != NULL)
			wf_runq_put(p, g, false);
	}
	if (!(wanted & PREEMPT_GLOBAL))
		return NULL;
	if (wf_load_relaxed(&p->runq.runnext) != NULL) {
		wf_store_relaxed(&p->preempt, PREEMPT_GLOBAL);	/* after that one */
		return NULL;
	}
	return wf_take_global(p, 1);
}

/* Another P was made: it may have what waits here (X2). */
static WF_COLD void
stop_being_alone(struct p *p)
{
	runq_share(&p->runq);						/* A1 */
	WF_POINT("procs.shared");
	wf_fence_seqcst();						/* A2 */
	wf_wake_one();							/* A3 */
}

/* O4: has nobody stolen from p for a while? Then it is its holder's own. */
static void
try_own(struct p *p)
{
	uint32_t picks = wf_load_relaxed(&p->picks), n = wf_load_relaxed(&wf_sched.n_p);

	if (wf_load_relaxed(&p->runq.own) == RUNQ_OWN || n == 1 || n > OWN_PROCS_MAX ||
	    (int32_t)(picks - wf_load_relaxed(&p->runq.own_from)) < 0 ||
	    !wf_sched.has_membarrier || wf_load_relaxed(&wf_sched.is_own_refused))
		return;
	runq_own(&p->runq, true, picks);
}

/* WEFT_PERTURB: another one comes first. */
WF_COLD void
wf_pick_shuffle(struct p *p)
{
	struct g *g;

	if (WF_PERTURB(2))
		wf_store_relaxed(&p->preempt, PREEMPT_NEXT | PREEMPT_GLOBAL);
	else if ((g = runq_take_own(&p->runq)) != NULL)
		wf_runq_put(p, g, false);
}

/*
 * What pick_is_special() has found. Returns a goroutine that is to run before those of the own
 * P, or NULL.
 */
struct g *
wf_pick_special(struct m *m)
{
	struct p *p = m->p;
	struct g *g;

	if (runq_is_alone(&p->runq) && wf_load_relaxed(&wf_sched.n_p) > 1)
		stop_being_alone(p);
	if (wf_load_relaxed(&p->picks) % POLL_PICKS == 0) {
		try_own(p);
		wf_look_around(p);
	}
	if (wf_load_relaxed(&p->schedtick) % GLOBAL_TICK == GLOBAL_TICK - 1 &&
	    (g = take_global_in_turn(p)) != NULL)
		return g;
	if (wf_load_relaxed(&p->preempt) != 0 && (g = obey(p)) != NULL)
		return g;
	return p->newest_first ? take_newest(m, p) : NULL;
}
