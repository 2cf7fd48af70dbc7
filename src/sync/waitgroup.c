/*
 * weft_waitgroup: a counter and those that wait for it to be 0. Protocol: README.md,
 * "WaitGroup", whose steps and edges are cited here.
 */
#define WEFT_NO_INLINE
#include "sync/waitgroup.h"

#include "os/moment.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sync/waitgroup_kept.h"

/*
 * Of a state, which wraps: that a sum is below 0 or too large is seen before it is formed. The last
 * DEBT_MAX values are those below 0, where a recovered panic leaves it.
 */
static inline int64_t
counter_of(uint32_t state)
{
	return (int64_t)((state + DEBT_MAX * ONE) / ONE) - DEBT_MAX;
}

/* ---- Add, done ---- */

static WF_COLD WF_NORETURN void
panic_of_add(struct waitgroup *wg)
{
	wf_panic_help("sync: WaitGroup misuse: Add called concurrently with Wait",
	    "waitgroup %p: its counter had come to 0 and its waiters were being released; add "
	    "before the wait begins, or while other work is counted", (void *)wg);
}

/* G2. We are the one that took the counter to 0 while somebody waited. */
static WF_NOINLINE void
release_all(struct waitgroup *wg)
{
	struct gqueue ready = {0};
	struct waitlist waiters;
	struct waiter *w;
	uint32_t state;

	WF_POINT("waitgroup.zero");
	wf_waitgroup_unkeep_lock(wg);
	/*
	 * Two steps: at 0 with WAITERS the state is ours, unless there is misuse. An add that comes
	 * between them is lost, and its done will be one too many.
	 */
	state = wf_load_acquire(&wg->state);				/* D1 */
	wf_store_release(&wg->state, state & ~WAITERS);			/* D3 */
	waiters = waitgroup_list(wg);
	while ((w = waitlist_take(&waiters)) != NULL)
		if (wf_claim(w, 0))
			gqueue_put(&ready, w->g);
	waitgroup_set_list(wg, waiters);
	WF_POINT("waitgroup.released");
	wf_unlock(&wg->lock);		/* The last touch. */
	wf_ready_all(&ready);						/* D2 */
	if (state != WAITERS)
		panic_of_add(wg);
}

/* Who is ALONE: it has announced itself, and may be about to leave its stack. */
static inline struct waiter *
await_alone(struct waitgroup *wg)
{
	struct waiter *w;

	for (int i = 0; (w = wf_load_acquire(&wg->alone)) == NULL; i++)	/* D4 */
		wf_moment(i);
	return w;
}

/* G8. We are the one that took the counter to 0 while one waited alone: nobody else changes it. */
static WF_NOINLINE void
release_alone(struct waitgroup *wg)
{
	struct waiter *w;
	uint32_t state;

	WF_POINT("waitgroup.zero");
	state = wf_load_acquire(&wg->state);				/* D1, D5 */
	w = await_alone(wg);
	wf_store_relaxed(&wg->alone, NULL);				/* ordered by D3 */
	(void)wf_claim(w, 0);		/* there is no other claimer */
	wf_store_release(&wg->state, state & ~ALONE);	/* D3. The last touch. */
	wf_ready(w->g);							/* D2 */
	if (state != ALONE)
		panic_of_add(wg);
}

/* The part of G1 that is not 0 or that is wrong. old is the state before delta. */
static WF_NOINLINE void
add_slow(struct waitgroup *wg, uint32_t old, int delta)
{
	int64_t counter = counter_of(old) + delta;

	if (counter < 0 || counter > COUNTER_MAX)
		/* Go's word for overflow, too. */
		wf_panic_help("sync: negative WaitGroup counter",
		    "waitgroup %p: %d was added to %d; add before the work begins, and let it "
		    "be done once for each", (void *)wg, delta, (int)counter_of(old));
	if (delta == 0 || (old & KEPT_BY) == KEPT_BY)
		return;		/* between another's G1 and G2; or a P keeps it since */
	if (old < ONE && delta > 0)
		panic_of_add(wg);
	if (old & ALONE)
		release_alone(wg);
	else
		release_all(wg);
}

/* G1. Returns the state before. */
static inline uint32_t
change(struct waitgroup *wg, int delta)
{
	if (delta < 0)
		wf_race_release(wg);
	return wf_add_release(&wg->state, (uint32_t)delta * ONE);		/* G1; D1 */
}

/* Was that all? False: it came to 0 and somebody waits, or it is wrong: add_slow(). */
static inline bool
is_all(uint32_t old, int delta)
{
	int64_t counter = counter_of(old) + delta;

	return (counter > 0 && counter <= COUNTER_MAX && (old >= ONE || old == 0))
	    || (counter == 0 && (old & (WAITERS | ALONE)) == 0);
}

/* G1 and what follows from it, where G9 and G10 did not do. Inside the runtime. */
static WF_NOINLINE void
add_to_state(struct waitgroup *wg, int delta)
{
	uint32_t old;

	if (waitgroup_is_kept(wg))
		wf_waitgroup_unkeep(wg);				/* G12 */
	old = change(wg, delta);
	if (old == (ONE | ALONE) && delta == -1)
		release_alone(wg);
	else if (!is_all(old, delta))
		add_slow(wg, old, delta);
}

/* G10. Inside the runtime, on m. */
static WF_ALWAYS_INLINE void
add_kept(struct m *m, struct waitgroup *wg, int delta)
{
	struct g *wake = NULL;

	if (delta < 0)
		wf_race_release(wg);
	if (wf_unlikely(!waitgroup_count_kept(m, wg, delta, &wake)))
		add_to_state(wg, delta);
	else if (wake != NULL)
		wf_ready(wake);							/* D2 */
}

/* Should it be kept from now on? Relaxed: whoever does that looks again. */
static WF_ALWAYS_INLINE bool
is_begun_again(struct waitgroup *wg, int delta)
{
	return delta > 0 && wf_load_relaxed(&wg->state) == 0 && waitgroup_is_begun_again(wg);
}

static WF_ALWAYS_INLINE void
add(struct waitgroup *wg, int delta)
{
	uint32_t old;

	if (waitgroup_is_kept(wg)) {
		struct m *m = wf_enter();

		add_kept(m, wg, delta);
		wf_leave_from(m);
		return;
	}
	if (wf_unlikely(is_begun_again(wg, delta))) {
		bool is_kept;

		wf_enter();
		is_kept = wf_waitgroup_keep(wg, delta);			/* G9 */
		wf_leave();
		if (is_kept)
			return;
	}
	old = change(wg, delta);
	if (wf_likely(is_all(old, delta)))
		return;
	wf_enter();
	add_slow(wg, old, delta);
	wf_leave();
}

WF_API_PARKS void
weft_waitgroup_add(weft_waitgroup *pub, int delta)
{
	add(waitgroup_of(pub), delta);
}

WF_API_PARKS void
weft_waitgroup_done(weft_waitgroup *pub)
{
	add(waitgroup_of(pub), -1);
}

/* ---- Wait ---- */

/* G5. */
static WF_COLD void
leave_queue(struct waitgroup *wg, struct waiter *w)
{
	struct waitlist waiters;
	bool is_emptied;

	WF_POINT("waitgroup.gave_up");
	wf_waitgroup_unkeep_lock(wg);
	waiters = waitgroup_list(wg);
	is_emptied = waitlist_remove(&waiters, w) && waiters.head == NULL;
	waitgroup_set_list(wg, waiters);
	if (is_emptied) {
		uint32_t old = wf_load_relaxed(&wg->state);	/* a first guess for the CAS */

		/* At 0 the bit belongs to release_all(). */
		while (old >= ONE && !wf_cas_release(&wg->state, &old, old & ~WAITERS))	/* D5 */
			continue;
	}
	wf_unlock(&wg->lock);
}

/* The commit of a wait that is alone: whoever sees it may claim it. */
static void
publish_alone(void *p)
{
	struct waiter *w = p;
	struct waitgroup *wg = w->elem;

	wf_store_release(&wg->alone, w);				/* D4 */
}

/*
 * G6: w, which can't give up, waits for a counter above 0, and is the first. A lock that is taken
 * is that of a done which is not over yet. False: it is not so.
 */
static bool
wait_alone(struct waitgroup *wg, struct waiter *w)
{
	uint32_t old = wf_load_acquire(&wg->state);			/* D3 */

	if (wf_load_acquire(&wg->lock.word) != 0)			/* L1 */
		return false;
	do {
		if (old < ONE || (old & (WAITERS | ALONE)) != 0)
			return false;
	} while (!wf_cas_acquire(&wg->state, &old, old | ALONE));	/* D5 */
	WF_POINT("waitgroup.alone");
	w->elem = wg;
	waitlist_put(&(struct waitlist){ NULL }, w);	/* a list of one, once it is not alone */
	(void)wf_park(publish_alone, w, WAIT_WAITGROUP, WEFT_FOREVER, /* cancellable */ true);
	return true;
}

/*
 * G7, under lock, where old is ALONE. Lets go of it for a moment if the other is between two steps:
 * about to publish, or being released. looks: how often it was so before.
 */
static bool
may_join_locked(struct waitgroup *wg, uint32_t old, int looks)
    WF_HOLDS(wg->lock)
{
	if (old >= ONE && wf_load_acquire(&wg->alone) != NULL)		/* D4 */
		return true;
	wf_unlock(&wg->lock);
	wf_moment(looks);
	wf_waitgroup_unkeep_lock(wg);
	return false;
}

/* G4, under lock. 0: there is nothing to wait for. 1: announced. Or why it can't wait. */
static int
announce_locked(struct waitgroup *wg, int64_t deadline)
    WF_HOLDS(wg->lock)
{
	for (int looks = 0;; looks++) {
		uint32_t old = wf_load_acquire(&wg->state);		/* D1 */
		int may_wait;

		if (old == 0)
			return 0;
		may_wait = wf_park_check(deadline, /* cancellable */ true);
		if (may_wait < 0)
			return may_wait;
		if (old & WAITERS)
			return 1;
		if ((old & ALONE) && !may_join_locked(wg, old, looks))	/* G7 */
			continue;
		/* Relaxed: the waiter is under lock, and the look at the counter is above. */
		if (wf_cas_relaxed(&wg->state, &old, (old & ~ALONE) | WAITERS))
			return 1;
	}
}

/* It was released: by the rules the counter was 0 then, and nobody has added since. */
static void
expect_zero(struct waitgroup *wg)
{
	uint32_t state = wf_load_relaxed(&wg->state);	/* D2 has ordered it, */
	uintptr_t head = wf_load_relaxed(&wg->head);	/* unless there is misuse */

	if ((state != 0 && state != KEPT_BY) || ((head & KEPT) != 0 && head != KEPT))
		wf_panic_help("sync: WaitGroup is reused before previous Wait has returned",
		    "waitgroup %p: add to it again when all its waits have returned, or have one "
		    "for each round", (void *)wg);
}

static int
wait_slow(struct waitgroup *wg, int64_t deadline)
{
	struct waitlist waiters;
	struct waiter w;
	int r;

	r = waitgroup_is_kept(wg) ? wf_waitgroup_wait_kept(wg, deadline) : WAIT_ELSEWHERE;
	if (r != WAIT_ELSEWHERE) {
		if (r == 0)
			expect_zero(wg);
		return r;
	}
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	if (w.solo && wait_alone(wg, &w)) {
		expect_zero(wg);
		return 0;
	}
	wf_waitgroup_unkeep_lock(wg);
	r = announce_locked(wg, deadline);
	if (r <= 0) {
		wf_unlock(&wg->lock);
		return r;
	}
	waiters = waitgroup_list(wg);
	waitlist_put(&waiters, &w);
	waitgroup_set_list(wg, waiters);
	r = wf_park_unlock(&wg->lock, WAIT_WAITGROUP, deadline, /* cancellable */ true);
	if (r < 0) {
		leave_queue(wg, &w);
		return r;
	}
	expect_zero(wg);
	return 0;
}

WF_API_PARKS int
weft_waitgroup_wait(weft_waitgroup *pub, int64_t deadline)
{
	struct waitgroup *wg = waitgroup_of(pub);
	int r;

	/* G3, in this order: README.md, "Why G3 looks at lock". */
	if (wf_load_acquire(&wg->state) == 0				/* D1, D3 */
	    && wf_load_acquire(&wg->lock.word) == 0) {			/* L1 */
		wf_race_acquire(wg);
		return 0;
	}
	wf_enter();
	r = wait_slow(wg, deadline);
	wf_leave();
	if (r == 0)
		wf_race_acquire(wg);
	return r;
}

/* ---- Go ---- */

/* The goroutine is at its end, and inside the runtime. */
static void
job_ended(void *p)
{
	struct waitgroup *wg = p;

	if (waitgroup_is_kept(wg))
		add_kept(wf_self(), wg, -1);
	else
		add_to_state(wg, -1);
}

WF_API_PARKS int
weft_waitgroup_go(weft_waitgroup *pub, void (*fn)(void *), void *arg)
{
	struct waitgroup *wg = waitgroup_of(pub);
	struct m *m = wf_enter();
	int r;

	if (waitgroup_is_kept(wg))
		add_kept(m, wg, 1);
	else if (!is_begun_again(wg, 1) || !wf_waitgroup_keep(wg, 1))	/* G9 */
		add_to_state(wg, 1);
	r = wf_go_and_tell(fn, arg, job_ended, wg, (uintptr_t)__builtin_return_address(0));
	if (r < 0)
		add_to_state(wg, -1);
	wf_leave();
	return r;
}
