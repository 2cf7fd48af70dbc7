/*
 * The slow side of keep.h: who keeps a mutex, and how that ends. README.md, "Kept by a processor",
 * whose steps are cited here.
 */
#include "sync/keep.h"

#include "os/os.h"

/* What a lock pays back of what was owed: an end costs a lock that much at most, on average. */
#define PAID_NS 1u
/* A machine that stood still meanwhile is no reason not to keep anything for a minute. */
#define OWED_MAX 100000u

/* A batch of locks has been done: is nothing owed any more? */
static bool
pay(struct bias_slot *s)
{
	uint32_t owed = wf_load_relaxed(&s->owed);	/* nothing is guarded by it */

	if (owed == 0)
		return true;
	(void)wf_sub_relaxed(&s->owed, wf_min(owed, KEEP_EVERY * PAID_NS));
	return false;
}

WF_COLD void
wf_mutex_keep(struct mutex *m)
{
	uint32_t number, old = MUTEX_LOCKED;

	wf_enter();
	number = keeper_number();
	/* Tried: a program may have forbidden it since it started. */
	if (number != 0 && pay(&wf_biases.slots[number - 1]) && wf_has_membarrier()
	    && wf_os_membarrier() == 0) {
		wf_lock(&m->lock);
		/* Relaxed: we stay the owner. */
		(void)wf_cas_relaxed(						/* K5 */
		    &m->state, &old, MUTEX_LOCKED | number * MUTEX_KEEPER);
		wf_unlock(&m->lock);
	}
	wf_leave();
}

/* K6. Afterwards the keeper's P changes the state no more: m's lock is held. */
static void
await_keeper(uint32_t number)
{
	int64_t start = wf_os_now(), cost;

	WF_POINT("mutex.unkeeping");
	wf_bias_await(number - 1);
	cost = wf_os_now() - start;
	/* Relaxed: it guards nothing. Two at a time may exceed the most, and wrap at worst. */
	if (wf_load_relaxed(&wf_biases.slots[number - 1].owed) < OWED_MAX)
		(void)wf_add_relaxed(&wf_biases.slots[number - 1].owed,
		    (uint32_t)wf_min(cost, (int64_t)OWED_MAX));
}

WF_COLD void
wf_mutex_unkeep_locked(struct mutex *m)
{
	uint32_t number = mutex_keeper(wf_load_relaxed(&m->state));	/* changes under lock */

	if (number == 0)
		return;
	if (number != keeper_number())
		await_keeper(number);						/* K6 */
	(void)wf_and_acqrel(&m->state, ~MUTEX_KEEPERS);				/* K7; A1 */
}

WF_COLD void
wf_mutex_unkeep(struct mutex *m)
{
	wf_lock(&m->lock);
	wf_mutex_unkeep_locked(m);
	wf_unlock(&m->lock);
}

bool
wf_mutex_trylock(struct mutex *m)
{
	uint32_t old = wf_load_relaxed(&m->state);	/* a first guess for the CAS */

	while ((old & MUTEX_LOCKED) == 0) {
		if (mutex_keeper(old) == 0) {
			if (!wf_cas_acquire(&m->state, &old, old | MUTEX_LOCKED))	/* A1 */
				continue;
			mutex_count_lock(m);
			return true;
		}
		if (mutex_lock_at_once(m))
			return true;
		wf_enter();
		wf_mutex_unkeep(m);
		wf_leave();
		old = wf_load_relaxed(&m->state);	/* a first guess for the CAS */
	}
	return false;
}
