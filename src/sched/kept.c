/*
 * The slow side of kept.h: who keeps a lock, and how that ends. README.md, "Locks that a P keeps",
 * whose steps are cited here.
 */
#include "sched/kept.h"

#include "os/moment.h"
#include "os/os.h"
#include "sched/panic.h"

#include <errno.h>
#include <string.h>

/* A machine that stood still meanwhile is no reason not to keep anything for a minute. */
#define COST_MAX ((int64_t)100000)

struct kept_slot wf_kept[WF_SLOTS_OF_PS + 1];

void
wf_membarrier(void)
{
	int r;

	/* Without an answer nothing is known. */
	while ((r = wf_os_membarrier()) != 0) {
		if (r != -ENOMEM && r != -EAGAIN)
			wf_fatal("membarrier worked when the program started and is refused now "
			    "(%s); start it with WEFT_DEBUG=nomembarrier=1", strerror(-r));
		wf_os_thread_yield();
	}
}

static bool
is_held(const struct kept_slot *s, const struct wf_lock *l)
{
	for (uint32_t i = 0; i < wf_countof(s->held); i++)
		if (wf_load_acquire(&s->held[i]) == l)			/* J1 */
			return true;
	return false;
}

/* Z4, Z5. The word says so no more: it is ours. */
static void
await_keeper(const struct wf_lock *l, uint32_t number)
{
	WF_POINT("kept.taking");
	wf_membarrier();						/* Z4 */
	WF_POINT("kept.fenced");
	for (int i = 0; is_held(&wf_kept[number], l); i++)		/* Z5 */
		wf_moment(i);
}

bool
wf_kept_take(struct wf_lock *l)
    WF_HANDS_OVER("this is the lock")
{
	uint32_t old = wf_xchg_acquire(&l->word, 1u);			/* Z3; L1 */

	if (wf_likely(old == 0))
		return false;
	if (old == 1)
		old = wf_lock_slow(l);
	if (old == 0 || old == WF_KEPT + wf_p_number())
		return false;
	await_keeper(l, old - WF_KEPT);
	return true;
}

void
wf_kept_give_back(void *lock)
    WF_HANDS_OVER("it has another name")
{
	wf_kept_unlock(lock, 0);
}

WF_COLD void
wf_kept_begin(struct wf_lock *l)
    WF_HANDS_OVER("this is the lock")
{
	uint32_t number = wf_p_number();

	/* Tried: a program may have forbidden it since it started. */
	if (number != 0 && wf_has_membarrier() && wf_os_membarrier() == 0)
		wf_store_release(&l->word, WF_KEPT + number);		/* Z7; L1 */
	else
		wf_unlock(l);
}

static bool
pay(struct kept_slot *s, uint32_t ns)
{
	uint32_t owed = wf_load_relaxed(&s->cost) - s->paid;	/* it guards nothing */

	s->paid += wf_min(owed, ns);
	return owed == 0;
}

WF_COLD _Atomic(struct wf_lock *) *
wf_kept_claim(struct wf_lock *l, uint32_t ns)
{
	uint32_t number = wf_p_number(), nobodys = 0;
	_Atomic(struct wf_lock *) *at = &wf_kept[number].held[0];

	/* Tried, as above. */
	if (number == 0 || !pay(&wf_kept[number], ns) || !wf_has_membarrier()
	    || wf_os_membarrier() != 0)
		return NULL;
	wf_store_release(at, l);					/* Z1; J1 */
	if (wf_cas_acqrel(&l->word, &nobodys, WF_KEPT + number))	/* Z8; L1 */
		return at;
	wf_store_release(at, NULL);					/* J1 */
	return NULL;
}

void
wf_kept_take_at_cost(struct wf_lock *l)
    WF_HANDS_OVER("this is the lock")
{
	uint32_t word = wf_load_relaxed(&l->word);	/* another may have it in the end */
	int64_t start = word > WF_KEPT ? wf_os_now() : 0;

	/* Relaxed: it guards nothing. */
	if (wf_kept_take(l) && start != 0)
		(void)wf_add_relaxed(&wf_kept[word - WF_KEPT].cost,
		    (uint32_t)wf_min(wf_os_now() - start, COST_MAX));
}
