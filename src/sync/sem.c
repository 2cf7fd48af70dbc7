/*
 * weft_sem: a weighted semaphore, first come, first served. Protocol: README.md, "Sem", whose
 * steps and edge are cited here.
 */
#include <weft/sync.h>

#include "base/assert.h"
#include "sched/panic.h"
#include "sync/waitlist.h"

#define WAITERS ((uint64_t)1)	/* bit of sem.state: waiters is not empty */

/*
 * Life: the user's, set up by weft_sem_init(); all zero is one without permits. Who may free it
 * when: README.md, "The rule of the last touch".
 *
 *   c  constant after weft_sem_init()
 *   l  under lock
 *   x  atomic; S1-S5. While WAITERS is set it changes under lock only
 */
struct sem {
	_Atomic uint64_t state;		/* x  permits available * 2 + WAITERS */
	uint64_t permits;		/* c */
	struct waitlist waiters;	/* l  oldest first; waiter.n is what it asks for */
	struct wf_lock lock;
};

_Static_assert(sizeof(struct sem) <= sizeof(weft_sem), "weft_priv is too small");

static inline struct sem *
sem_of(weft_sem *s)
{
	return (struct sem *)(void *)s;
}

static void
check_n(weft_sem *s, int64_t n)
{
	if (wf_likely(n >= 0))
		return;
	wf_enter();
	wf_panic_help("semaphore: negative weight",
	    "sem %p: n is %lld, must be 0 or more", (void *)s, (long long)n);
}

WF_API_PARKS void
weft_sem_init(weft_sem *pub, int64_t permits)
{
	struct sem *s = sem_of(pub);

	check_n(pub, permits);
	s->permits = (uint64_t)permits;
	s->waiters.head = NULL;
	wf_store_relaxed(&s->lock.word, 0u);	/* relaxed: nobody else has it yet */
	wf_store_relaxed(&s->state, (uint64_t)permits * 2);
}

/* S1. */
static inline bool
try_take(struct sem *s, uint64_t n)
{
	uint64_t old = wf_load_relaxed(&s->state);	/* a first guess for the CAS */

	while ((old & WAITERS) == 0 && old / 2 >= n)
		if (wf_cas_acquire(&s->state, &old, old - n * 2))	/* F1 */
			return true;
	return false;
}

/*
 * Under lock, with WAITERS set: serves the queue from its head as far as `available` goes. Those
 * to be readied go on ready.
 */
static void
grant_locked(struct sem *s, uint64_t available, struct gqueue *ready)
    WF_HOLDS(s->lock)
{
	struct waiter *w;

	while ((w = s->waiters.head) != NULL && w->n <= available) {
		waitlist_remove(&s->waiters, w);
		if (wf_claim(w, 0)) {
			available -= w->n;
			gqueue_put(ready, w->g);
		}
	}
	available *= 2;
	wf_store_release(&s->state, w != NULL ? available | WAITERS : available);	/* F1 */
}

/* ---- Acquire ---- */

/* S3. A large waiter that leaves may have been all that held the next ones up. */
static WF_COLD void
leave_queue(struct sem *s, struct waiter *w)
{
	struct gqueue ready = {0};

	WF_POINT("sem.gave_up");
	wf_lock(&s->lock);
	if (waitlist_remove(&s->waiters, w))
		grant_locked(s, wf_load_acquire(&s->state) / 2, &ready);	/* F1 */
	wf_unlock(&s->lock);
	wf_ready_all(&ready);
}

/* S2, under lock. 0: taken after all. 1: announced. Or why it can't wait. */
static int
announce_locked(struct sem *s, uint64_t n, int64_t deadline)
    WF_HOLDS(s->lock)
{
	int may_wait = wf_park_check(deadline, /* cancellable */ true);
	uint64_t old = wf_load_relaxed(&s->state);	/* a first guess for the CAS */

	for (;;) {
		if ((old & WAITERS) == 0 && old / 2 >= n) {
			if (wf_cas_acquire(&s->state, &old, old - n * 2))	/* F1 */
				return 0;
			continue;
		}
		if (may_wait < 0)
			return may_wait;
		/* Relaxed: the waiter is under lock. */
		if ((old & WAITERS) != 0 || wf_cas_relaxed(&s->state, &old, old | WAITERS))
			return 1;
	}
}

static int
acquire_slow(struct sem *s, uint64_t n, int64_t deadline)
{
	struct waiter w;
	int r;

	if (n > s->permits) {
		r = wf_park_check(deadline, /* cancellable */ true);
		return r < 0 ? r : wf_park(NULL, NULL, WAIT_SEM, deadline, /* cancellable */ true);
	}
	wf_lock(&s->lock);
	r = announce_locked(s, n, deadline);
	if (r <= 0) {
		wf_unlock(&s->lock);
		return r;
	}
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	w.n = n;
	waitlist_put(&s->waiters, &w);
	r = wf_park_unlock(&s->lock, WAIT_SEM, deadline, /* cancellable */ true);
	if (r < 0)
		leave_queue(s, &w);
	return r;
}

WF_API_PARKS int
weft_sem_acquire(weft_sem *pub, int64_t n, int64_t deadline)
{
	struct sem *s = sem_of(pub);
	int r;

	check_n(pub, n);
	if (wf_likely(try_take(s, (uint64_t)n))) {
		wf_race_acquire(s);
		return 0;
	}
	wf_enter();
	r = acquire_slow(s, (uint64_t)n, deadline);
	wf_leave();
	if (r == 0)
		wf_race_acquire(s);
	return r;
}

WF_API_PARKS bool
weft_sem_tryacquire(weft_sem *pub, int64_t n)
{
	check_n(pub, n);
	if (!try_take(sem_of(pub), (uint64_t)n))
		return false;
	wf_race_acquire(pub);
	return true;
}

/* ---- Release ---- */

enum given {
	GIVEN,
	TOO_MANY,
	HAS_WAITERS,
};

/* S4. */
static inline enum given
try_give(struct sem *s, uint64_t n)
{
	uint64_t old = wf_load_relaxed(&s->state);	/* a first guess for the CAS */

	for (;;) {
		if ((old & WAITERS) != 0)
			return HAS_WAITERS;
		if (n > s->permits - old / 2)
			return TOO_MANY;
		if (wf_cas_release(&s->state, &old, old + n * 2))	/* F1. The last touch. */
			return GIVEN;
	}
}

/* S5, S6. */
static WF_COLD enum given
give_to_waiters(struct sem *s, uint64_t n)
{
	struct gqueue ready = {0};
	uint64_t state;

	WF_POINT("sem.has_waiters");
	wf_lock(&s->lock);
	state = wf_load_acquire(&s->state);				/* F1 */
	if ((state & WAITERS) == 0) {
		wf_unlock(&s->lock);
		return try_give(s, n);
	}
	if (n > s->permits - state / 2) {
		wf_unlock(&s->lock);
		return TOO_MANY;
	}
	grant_locked(s, state / 2 + n, &ready);
	WF_POINT("sem.granted");
	wf_unlock(&s->lock);		/* The last touch. */
	wf_ready_all(&ready);
	return GIVEN;
}

WF_API_PARKS void
weft_sem_release(weft_sem *pub, int64_t n)
{
	struct sem *s = sem_of(pub);
	enum given r;

	check_n(pub, n);
	wf_race_release(s);
	r = try_give(s, (uint64_t)n);
	if (wf_likely(r == GIVEN))
		return;
	wf_enter();
	while (r == HAS_WAITERS)
		r = give_to_waiters(s, (uint64_t)n);
	if (r == TOO_MANY)
		wf_panic_help("semaphore: released more than held",
		    "sem %p has %llu permits: release %lld only where as many were acquired",
		    (void *)s, (unsigned long long)s->permits, (long long)n);
	wf_leave();
}
