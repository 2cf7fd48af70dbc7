/*
 * weft_waitgroup: a counter and those that wait for it to be 0. Protocol: README.md,
 * "WaitGroup", whose steps and edges are cited here.
 */
#define WEFT_NO_INLINE
#include <weft/sync.h>

#include "base/assert.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sync/waitlist.h"

#define WAITERS 1	/* bit of waitgroup.state: somebody waits, or is just being released */
#define ONE 2		/* of the counter */
#define COUNTER_MAX (INT32_MAX / ONE)

/*
 * Life: the user's, all zero at first. Who may free it when: README.md, "The rule of the last
 * touch".
 *
 *   l  under lock
 *   x  atomic; G1-G5
 */
struct waitgroup {
	_Atomic int32_t state;		/* x  counter * ONE + WAITERS */
	struct wf_lock lock;
	struct waitlist waiters;	/* l */
};

_Static_assert(sizeof(struct waitgroup) <= sizeof(weft_waitgroup), "weft_priv is too small");
_Static_assert(sizeof(weft_waitgroup) <= 16, "promised by the contract");
_Static_assert(offsetof(struct waitgroup, state) == 0 && WAITERS == 1 && ONE == 2
    && offsetof(struct waitgroup, lock.word) == 4, "weft/sync.h looks at them");

static inline struct waitgroup *
waitgroup_of(weft_waitgroup *wg)
{
	return (struct waitgroup *)(void *)wg;
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
	struct waiter *w;
	int32_t state;

	WF_POINT("waitgroup.zero");
	wf_lock(&wg->lock);
	/*
	 * Two steps: at 0 with WAITERS the state is ours, unless there is misuse. An add that comes
	 * between them is lost, and its done will be one too many.
	 */
	state = wf_load_acquire(&wg->state);				/* D1 */
	wf_store_release(&wg->state, state & ~WAITERS);			/* D3 */
	while ((w = waitlist_take(&wg->waiters)) != NULL)
		if (wf_claim(w, 0))
			gqueue_put(&ready, w->g);
	WF_POINT("waitgroup.released");
	wf_unlock(&wg->lock);		/* The last touch. */
	wf_ready_all(&ready);						/* D2 */
	if (state != WAITERS)
		panic_of_add(wg);
}

/* The part of G1 that is not 0 or that is wrong. old is the state before delta. */
static WF_NOINLINE void
add_slow(struct waitgroup *wg, int32_t old, int delta)
{
	int64_t counter = (int64_t)(old >> 1) + delta;

	if (counter < 0 || counter > COUNTER_MAX)
		/* Go's word for overflow, too. */
		wf_panic_help("sync: negative WaitGroup counter",
		    "waitgroup %p: %d was added to %d; add before the work begins, and let it "
		    "be done once for each", (void *)wg, delta, old >> 1);
	if (delta == 0)
		return;		/* between another's G1 and G2 */
	if (old == WAITERS && delta > 0)
		panic_of_add(wg);
	release_all(wg);
}

/* G1. False: it came to 0 and somebody waits, or it is wrong; *ret_old goes to add_slow(). */
static inline bool
try_add(struct waitgroup *wg, int delta, int32_t *ret_old)
{
	/* In unsigned arithmetic, where a delta that is too large is no undefined behaviour. */
	int32_t step = (int32_t)((uint32_t)delta * ONE), old;
	int64_t counter;

	if (delta < 0)
		wf_race_release(wg);
	old = wf_add_release(&wg->state, step);				/* G1; D1 */
	counter = (int64_t)(old >> 1) + delta;
	*ret_old = old;
	return (counter > 0 && counter <= COUNTER_MAX && old != WAITERS)
	    || (counter == 0 && (old & WAITERS) == 0);
}

static inline void
add(struct waitgroup *wg, int delta)
{
	int32_t old;

	if (wf_likely(try_add(wg, delta, &old)))
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
	WF_POINT("waitgroup.gave_up");
	wf_lock(&wg->lock);
	if (waitlist_remove(&wg->waiters, w) && wg->waiters.head == NULL) {
		int32_t old = wf_load_relaxed(&wg->state);	/* a first guess for the CAS */

		/* Relaxed: nothing is passed on. At 0 the bit belongs to release_all(). */
		while (old >= ONE && !wf_cas_relaxed(&wg->state, &old, old & ~WAITERS))
			continue;
	}
	wf_unlock(&wg->lock);
}

/* G4, under lock. 0: there is nothing to wait for. 1: announced. Or why it can't wait. */
static int
announce_locked(struct waitgroup *wg, int64_t deadline)
{
	int may_wait = wf_park_check(deadline, /* cancellable */ true);
	int32_t old = wf_load_acquire(&wg->state);			/* D1 */

	for (;;) {
		if (old == 0)
			return 0;
		if (may_wait < 0)
			return may_wait;
		/* Relaxed: the waiter is under lock. Acquire for the case that it fails. */
		if ((old & WAITERS) != 0 || wf_cas_acquire(&wg->state, &old, old | WAITERS))
			return 1;					/* D1 */
	}
}

static int
wait_slow(struct waitgroup *wg, int64_t deadline)
{
	struct waiter w;
	int r;

	wf_lock(&wg->lock);
	r = announce_locked(wg, deadline);
	if (r <= 0) {
		wf_unlock(&wg->lock);
		return r;
	}
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	waitlist_put(&wg->waiters, &w);
	r = wf_park_unlock(&wg->lock, WAIT_WAITGROUP, deadline, /* cancellable */ true);
	if (r < 0) {
		leave_queue(wg, &w);
		return r;
	}
	if (wf_load_relaxed(&wg->state) != 0)	/* D2 has ordered it, unless there is misuse */
		wf_panic_help("sync: WaitGroup is reused before previous Wait has returned",
		    "waitgroup %p: add to it again when all its waits have returned, or have one "
		    "for each round", (void *)wg);
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
	int32_t old;

	if (!try_add(wg, -1, &old))
		add_slow(wg, old, -1);
}

WF_API_PARKS int
weft_waitgroup_go(weft_waitgroup *pub, void (*fn)(void *), void *arg)
{
	struct waitgroup *wg = waitgroup_of(pub);
	struct wf_go_args args = {
		.fn = fn,
		.arg = arg,
		.ended = job_ended,
		.ended_arg = wg,
		.caller_pc = (uintptr_t)__builtin_return_address(0),
	};
	int r;

	add(wg, 1);
	wf_enter();
	r = wf_go(&args);
	wf_yield_if_crowded();
	wf_leave();
	if (r < 0)
		add(wg, -1);
	return r;
}
