/*
 * Finding the next goroutine: on the own P, in the global queue, in the poller, at other Ps; and
 * going idle when there is none. README.md, "Finding work" and "Going idle, and being woken"
 * (S1-S5). Go: schedule, findRunnable, stealWork.
 */
#include "sched/pick.h"

#include "os/moment.h"
#include "os/os.h"
#include "sched/order.h"

#ifndef WF_SMALL	/* else a test has set both */
/* 3 us at 40 ns a pause: a goroutine that was just readied is about to be run by its own P. */
#define RUNNEXT_PAUSES 75
#define RUNNEXT_SLEEPS 8
#define STEAL_PASSES 4
#endif
#ifndef UNTIL_LOOKS
#define UNTIL_LOOKS 8
#endif
#define TINY_BATCH 32u		/* so many at once ... */
#define TINY_NS 200		/* ... that took less each ... */
#define TINY_REST_NS 200000	/* ... and the thief rests, twice as long when again */
#define HAND_OVER_NS 5000	/* who hands over as often as that needs nobody */
#define RUNNEXT_SLEEP_NS 3000

/* Asks the poller without waiting, if somebody waits in it and nobody else asks. */
static struct g *
ask_poller(struct m *m)
{
	if (wf_poll_nwaiters() == 0 || wf_load_relaxed(&wf_sched.last_poll) == 0)
		return NULL;
	wf_look_around(m->p);
	return wf_pick_local(m);
}

/*
 * Will the victim run g itself? It is given a moment. Then we sleep for another: its thread may be
 * the one that has woken us, and the CPU the one that we have taken from it; and longer while it is
 * inside the runtime.
 */
static bool
runs_it_itself(struct p *victim, const struct g *g)
{
	_Atomic uint32_t word = 0;

	for (int i = 0; i < RUNNEXT_PAUSES; i++) {
		wf_cpu_relax();
		if (wf_load_relaxed(&victim->runq.runnext) != g)
			return true;
	}
	for (int i = 0; i < RUNNEXT_SLEEPS; i++) {
		uint32_t picks = wf_load_relaxed(&victim->picks);
		struct m *m = wf_load_relaxed(&victim->m);

		if (m == NULL || (i > 0 && wf_load_relaxed(&m->gate.in_runtime) == 0))
			break;
		(void)wf_os_futex_wait(&word, 0, wf_os_now() + RUNNEXT_SLEEP_NS);
		if (wf_load_relaxed(&victim->picks) != picks)
			return true;
	}
	return false;
}

/* How many picks a ring must be left alone before it is own again. It was so for `lasted`. */
static uint32_t
next_wait(uint32_t wait, uint32_t lasted)
{
	if (lasted >= OWN_PAYS)
		return wf_max(wait / 4, OWN_WAIT_MIN);
	return wf_min(wf_max(wait * 4, OWN_WAIT_MIN), OWN_WAIT_MAX);
}

/* H3, H4. The victim's ring is its own no more. False: the kernel refuses to help. */
static WF_NOINLINE bool
end_own(struct p *victim)
{
	struct runq *q = &victim->runq;
	uint32_t lasted;

	wf_store_relaxed(&q->own, RUNQ_ENDING);				/* H3 */
	WF_POINT("ring.ending");
	if (wf_os_membarrier() != 0) {
		wf_store_relaxed(&q->own, RUNQ_OWN);
		wf_refuse_own(victim);
		return false;
	}
	WF_POINT("ring.ended");
	for (int i = 0; wf_load_acquire(&q->busy); i++)			/* H4, Q8 */
		wf_moment(i);
	lasted = wf_load_relaxed(&victim->picks) - wf_load_relaxed(&q->own_from);
	q->own_wait = next_wait(q->own_wait, lasted);
	wf_store_release(&q->own, RUNQ_SHARED);				/* H4, Q7 */
	return true;
}

/* May the caller take from the victim's ring, until runq_unlock()? H1 to H4. */
static bool
begin_steal(struct p *victim)
{
	struct runq *q = &victim->runq;

	if (!runq_trylock(q))						/* H1 */
		return false;
	if (wf_load_relaxed(&q->own) != RUNQ_SHARED && !end_own(victim)) {	/* H2 */
		runq_unlock(q);
		return false;
	}
	wf_store_relaxed(&q->own_from, wf_load_relaxed(&victim->picks) + q->own_wait);
	return true;
}

/* Takes the goroutine that the victim is to run next, unless the victim does so in time. */
static struct g *
steal_runnext(struct p *victim)
{
	struct g *g = wf_load_acquire(&victim->runq.runnext);		/* Q4 */

	if (g == NULL)
		return NULL;
	if (wf_load_relaxed(&victim->status) == P_RUNNING && runs_it_itself(victim, g))
		return NULL;
	if (!begin_steal(victim))
		return NULL;
	if (!wf_cas_acqrel(&victim->runq.runnext, &g, NULL))		/* H5, Q4, Q5 */
		g = NULL;
	runq_unlock(&victim->runq);
	return g;
}

/* Half of the victim's ring, into batch. Returns how many. */
static uint32_t
grab(struct p *victim, struct g **batch)
{
	uint32_t n;

	if (runq_len_racy(&victim->runq) == 0 || !begin_steal(victim))
		return 0;
	n = runq_grab(&victim->runq, batch);				/* H5 */
	runq_unlock(&victim->runq);
	return n;
}

static struct g *
steal_from(struct p *p, struct p *victim, bool runnext)
{
	struct g *batch[RUNQ_BATCH];
	uint32_t n = grab(victim, batch);

	if (n == 0)
		return runnext ? steal_runnext(victim) : NULL;
	wf_store_relaxed(&p->n_steals, wf_load_relaxed(&p->n_steals) + 1);
	WF_PROBE3(steal, p->id, victim->id, n);
	p->stolen = n;
	p->stolen_at = n < TINY_BATCH ? 0 : wf_os_now();
	/*
	 * The newest runs, as in Go; the others keep their order. The ring is empty: it has
	 * room.
	 */
	for (uint32_t i = 0; i + 1 < n; i++)
		wf_runq_put(p, batch[i], false);
	return batch[n - 1];
}

/* Tries all other Ps, each time round in a new order. */
static struct g *
steal(struct m *m, int64_t now)
{
	struct p *p = m->p;
	uint32_t n = wf_load_acquire(&wf_sched.n_p);
	struct g *g;

	if (n == 1)
		return NULL;
	for (int pass = 0; pass < STEAL_PASSES; pass++) {
		struct order order = order_of(n, wf_rand_u32(&m->rand), wf_rand_u32(&m->rand));
		uint32_t at;

		while (order_next(&order, &at)) {
			struct p *victim = wf_load_acquire(&wf_sched.all_p[at]);
			bool last = pass == STEAL_PASSES - 1;

			if (victim == p || !runq_may_steal(&victim->runq))
				continue;
			if (last && wf_load_relaxed(&victim->timers.next) <= now) {
				wf_run_timers(victim, now);
				if ((g = wf_pick_local(m)) != NULL)
					return g;
			}
			if ((g = steal_from(p, victim, last)) != NULL)
				return g;
		}
	}
	return NULL;
}

/*
 * p's last steal was a large one, and what was stolen has ended in less time than it takes to bring
 * it from one cache to another: leaves the rest to its own P for a moment. A timer of p ends that.
 * Has it rested?
 */
static bool
rest_from_tiny(struct m *m, struct p *p)
{
	_Atomic uint32_t word = 0;
	uint32_t stolen = p->stolen;
	int64_t now, until;

	if (wf_likely(stolen < TINY_BATCH))
		return false;
	p->stolen = 0;
	if (wf_load_relaxed(&m->is_spinning))
		return false;		/* others count on its looking: A3 */
	now = wf_os_now();
	if (now - p->stolen_at > (int64_t)stolen * TINY_NS) {
		p->tiny_rest = 0;
		return false;
	}
	p->tiny_rest = p->tiny_rest == 0 ? TINY_REST_NS : 2 * TINY_REST_NS;
	until = wf_min(now + p->tiny_rest, wf_load_relaxed(&p->timers.next));
	WF_POINT("steal.rests");
	wf_rest_begin(m);
	(void)wf_os_futex_wait(&word, 0, until);
	wf_rest_end(m);
	return true;
}

/* Did so many goroutines run from runnext, since a thread last looked in vain? */
static bool
are_handing_over(int64_t now)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p), sum = 0;
	uint32_t before = wf_load_relaxed(&wf_sched.seen_hand_overs);
	int64_t since = wf_load_relaxed(&wf_sched.seen_at);

	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);

		sum += wf_load_relaxed(&p->hand_overs);
	}
	wf_store_relaxed(&wf_sched.seen_hand_overs, sum);
	wf_store_relaxed(&wf_sched.seen_at, now);
	return (int32_t)(sum - before) > (now - since) / HAND_OVER_NS;
}

/*
 * Those who look find nothing but goroutines that hand over to each other by runnext. If this
 * thread slept on its note, the next hand-over would wake it, in vain. So it goes on being one
 * that looks, but sleeps between two looks (K1-K4). False: it should go idle.
 */
static bool
nap(struct m *m, int64_t now)
{
	uint32_t nobody = 0;

	if (SPIN_NAP_NS == 0 || !are_handing_over(now))
		return false;
	if (wf_load_relaxed(&wf_sched.last_poll) != 0 &&
	    (wf_poll_nwaiters() != 0 || wf_timers_next_all() != INT64_MAX))
		return false;		/* it has to wait in the poller (K1) */
	if (!wf_cas_relaxed(&wf_sched.nap, &nobody, 1u))			/* K2 */
		return false;
	WF_POINT("idle.naps");
	wf_rest_begin(m);
	/* Later than now: whoever stole may have slept. */
	(void)wf_os_futex_wait(&wf_sched.nap, 1, wf_os_now() + SPIN_NAP_NS);		/* K3 */
	wf_rest_end(m);
	wf_store_relaxed(&wf_sched.nap, 0);					/* K4 */
	return true;
}

/*
 * Nothing found: gives the P up. Returns a goroutine that came in the last moment, or NULL; then
 * m->p is NULL, unless the M is to look again (S1-S4).
 */
static struct g *
go_idle(struct m *m, int64_t now)
{
	struct g *g;
	struct p *p;

	WF_POINT("idle.searched");
	wf_lock(&wf_sched.lock);
	if ((g = wf_global_take_locked(m->p, 0)) != NULL) {
		wf_unlock(&wf_sched.lock);
		return g;
	}
	if (!wf_load_relaxed(&m->is_spinning) && wf_load_relaxed(&wf_sched.needspinning)) {
		wf_store_relaxed(&wf_sched.needspinning, 0);
		wf_unlock(&wf_sched.lock);
		(void)wf_start_spinning(m, true);
		return NULL;
	}
	if (wf_p_must_retire(m->p)) {
		/* Taken away since it looked; the list of idle ones has been gone through. */
		wf_unlock(&wf_sched.lock);
		return NULL;
	}
	if (wf_load_relaxed(&m->is_spinning))
		metrics_count(&m->p->metrics.n_futile);
	wf_p_put_idle_locked(wf_p_release(m));				/* S1 */
	wf_unlock(&wf_sched.lock);

	if (wf_load_relaxed(&m->is_spinning)) {
		wf_store_relaxed(&m->is_spinning, 0);
		(void)wf_sub_seqcst(&wf_sched.n_spinning, 1);		/* S2, S3 */
	}
	WF_POINT("idle.announced");
	wf_fence_owners();						/* S3 */
	if (wf_has_work(now)) {						/* S4 */
		wf_lock(&wf_sched.lock);
		p = wf_p_get_idle_locked(NULL);
		wf_unlock(&wf_sched.lock);
		if (p != NULL) {
			wf_p_acquire(m, p);
			(void)wf_start_spinning(m, true);
		}
	}
	return NULL;
}

/*
 * Waits in the poller, without a P, if there is anything to wait for and nobody does so already.
 * Returns whether the M has a P again.
 */
static bool
wait_in_poller(struct m *m)
{
	int64_t until = INT64_MIN, next = wf_timers_next_all();
	struct gqueue q = { 0 };
	struct p *p;
	bool is_over;
	int64_t now;
	uint32_t n;

	wf_fence_seqcst();						/* V3 */
	if (wf_poll_nwaiters() == 0 && next == INT64_MAX) {
		WF_POINT("poll.unwanted");
		return false;
	}
	WF_POINT("poll.going");
	if (wf_xchg_seqcst(&wf_sched.last_poll, 0) == 0) {
		/* Somebody else waits there: not longer than that, please. */
		if (next < wf_load_seqcst(&wf_sched.poll_until))
			wf_poll_wake();
		return false;
	}
	for (int i = 0; i < UNTIL_LOOKS && next > until; i++) {
		until = next;
		wf_store_seqcst(&wf_sched.poll_until, until);		/* T3 */
		next = wf_timers_next_all();				/* T4 */
	}
	/* Not longer than it has said, then, if timers are put off faster than they are seen. */
	until = wf_min(until, next);
	/* It was stopped: there is nothing to wait for any more, and nobody else would say so. */
	is_over = until == INT64_MAX && wf_poll_nwaiters() == 0;
	now = wf_os_now();
	until = wf_max(wf_timers_share(until, now), now);
	WF_POINT("poll.waits");
	wf_rest_begin(m);
	wf_poll_wait(is_over ? 0 : until == INT64_MAX ? -1 : until - now, &q);
	wf_rest_end(m);
	now = wf_os_now();
	metrics_idle_poll(q.n);
	wf_store_seqcst(&wf_sched.poll_until, INT64_MAX);
	wf_store_seqcst(&wf_sched.last_poll, now);

	n = q.n;
	if (n != 0)
		WF_POINT("poll.brings");
	wf_lock(&wf_sched.lock);
	p = wf_p_get_idle_locked(NULL);
	wf_unlock(&wf_sched.lock);
	if (p != NULL) {
		wf_p_acquire(m, p);
		(void)wf_start_spinning(m, true);
	}
	if (n != 0) {
		wf_inject(&q, INJECT_IN_TURN);
		wf_poll_done(n);
	}
	return p != NULL;
}

/* A goroutine to run, and m->p to run it with. Waits until there is one. On the M's own stack. */
struct g *
wf_find_runnable(struct m *m)
{
	struct g *g;
	int64_t now;

	for (;;) {
		if (m->p == NULL) {
			if (m->is_exiting)
				return NULL;
			wf_m_stop(m);						/* S5 */
			continue;
		}
		if (wf_p_must_retire(m->p)) {
			wf_p_retire(wf_p_release(m));
			if (wf_load_relaxed(&m->is_spinning))
				wf_stop_spinning(m);
			wf_wake_one();
			continue;
		}
		now = 0;
		if (wf_load_relaxed(&m->p->timers.next) != INT64_MAX) {
			now = wf_os_now();
			wf_run_timers(m->p, now);
		}
		if ((g = wf_pick_local(m)) != NULL || (g = ask_poller(m)) != NULL)
			break;
		if (rest_from_tiny(m, m->p))
			continue;
		if (wf_start_spinning(m, false)) {
			if (now == 0)
				now = wf_os_now();
			if ((g = steal(m, now)) != NULL)
				break;
			if (nap(m, now))
				continue;
		}
		if ((g = go_idle(m, now)) != NULL)
			break;
		if (m->p == NULL)
			(void)wait_in_poller(m);
	}
	if (wf_load_relaxed(&m->is_spinning))
		wf_stop_spinning(m);
	return g;
}
