/*
 * The table of records, and who may operate on a descriptor when: README.md, "Operations".
 * Knows nothing of epoll(7).
 */
#include "poll/desc.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/panic.h"

#include <errno.h>

/*
 *   P2  table: release in grow -> acquire in wf_pd_find
 *       Whoever sees a leaf sees memory that is mapped, and zero.
 */
static _Atomic(struct pd *) table[PD_TOP];
static struct wf_lock table_lock;

struct pd *
wf_pd_find(int fd)
{
	struct pd *leaf;

	if ((uint32_t)fd >= PD_LEAF * PD_TOP)
		return NULL;
	leaf = wf_load_acquire(&table[(uint32_t)fd / PD_LEAF]);		/* P2 */
	return leaf == NULL ? NULL : &leaf[(uint32_t)fd % PD_LEAF];
}

/* Makes the leaf of fd, unless somebody else just did. */
static int
grow(int fd)
{
	uint32_t top = (uint32_t)fd / PD_LEAF;
	struct pd *leaf;
	int r = 0;

	wf_lock(&table_lock);
	if (wf_load_relaxed(&table[top]) == NULL) {	/* the lock orders it */
		/* Never freed. Pages are only taken for numbers that are used. */
		leaf = wf_os_map(PD_LEAF * sizeof(struct pd));
		if (leaf == NULL)
			r = -ENOMEM;
		else
			wf_store_release(&table[top], leaf);		/* P2 */
	}
	wf_unlock(&table_lock);
	return r;
}

int
wf_pd_get(int fd, struct pd **ret_pd)
{
	struct pd *pd = wf_pd_find(fd);

	if (wf_unlikely(pd == NULL)) {
		if (fd < 0)
			return -EBADF;
		if ((uint32_t)fd >= PD_LEAF * PD_TOP)
			return -EMFILE;
		if (grow(fd) < 0)
			return -ENOMEM;
		pd = wf_pd_find(fd);
	}
	if (wf_load_relaxed(&pd->fd) != fd)	/* the first time; all store the same */
		wf_store_relaxed(&pd->fd, fd);
	*ret_pd = pd;
	return 0;
}

/* Leaves under the lock, which it releases (O7). */
static void
leave_locked(struct pd *pd, enum pd_use use, bool is_owner)
    WF_GIVES_BACK(pd->lock)
{
	struct waiter *next = NULL, *closer = NULL;
	uint64_t left, refs;

	WF_ASSERT(!is_owner || use != PD_OTHER);
	if (is_owner)
		while ((next = waitq_take(&pd->turn[use])) != NULL)
			if (wf_claim(next, 0))
				break;
	refs = wf_sub_acqrel(&pd->refs, PD_ONE(use)) - PD_ONE(use);	/* O7, P1 */
	left = PD_COUNT(refs, use);
	if (use != PD_OTHER) {
		if (is_owner)
			pd->turn_is_free[use] = next == NULL && left != 0;
		else if (left == 0)
			pd->turn_is_free[use] = false;
	}
	if ((refs & (PD_CLOSING | PD_FINAL | PD_COUNT_ALL)) == PD_CLOSING) {	/* K3 */
		closer = waitq_take(&pd->closing);
		if (closer != NULL)
			WF_CHECK(wf_claim(closer, 0));
	}
	wf_unlock(&pd->lock);
	if (next != NULL)
		wf_ready(next->g);
	if (closer != NULL)
		wf_ready(closer->g);
}

void
wf_pd_leave(struct pd *pd, enum pd_use use)
{
	uint64_t refs = wf_load_relaxed(&pd->refs);	/* a guess that the CAS checks */

	while (!(refs & PD_CLOSING) && (use == PD_OTHER || PD_COUNT(refs, use) == 1))
		if (wf_cas_acqrel(&pd->refs, &refs, refs - PD_ONE(use)))	/* O6, P1 */
			return;
	wf_lock(&pd->lock);
	leave_locked(pd, use, use != PD_OTHER);
}

/* Waits until the close(2) that is under way is over (K6). Not counted, and not cancellable. */
WF_PARKS static void
wait_final(struct pd *pd)
{
	struct waiter w;

	wf_lock(&pd->lock);
	if (!(wf_load_relaxed(&pd->refs) & PD_FINAL)) {	/* K6 needs the lock */
		wf_unlock(&pd->lock);
		return;
	}
	wf_waiter_init(&w, WEFT_FOREVER, false);
	waitq_put(&pd->closing, &w);
	(void)wf_park_unlock(&pd->lock, WAIT_IO, WEFT_FOREVER, false);
}

void
wf_pd_settle(int fd)
{
	struct pd *pd = wf_pd_find(fd);

	if (pd != NULL)	/* else nobody has closed that number yet */
		wait_final(pd);
}

/* O3 to O5. The operation is counted; the lock is held and will be released. */
WF_PARKS static int
take_turn(struct pd *pd, enum pd_use use, int64_t deadline)
    WF_GIVES_BACK(pd->lock)
{
	struct waiter w;
	int64_t until;
	int r;

	do {
		if (wf_load_relaxed(&pd->refs) & PD_CLOSING) {	/* O3; set before K2's lock */
			leave_locked(pd, use, false);
			return -EBADF;
		}
		if (pd->turn_is_free[use]) {				/* O4 */
			pd->turn_is_free[use] = false;
			wf_unlock(&pd->lock);
			return 0;
		}
		until = wf_pd_until(pd, use, deadline);			/* D1 */
		r = wf_park_check(until, true);
		if (r < 0) {
			leave_locked(pd, use, false);
			return r;
		}
		wf_waiter_init(&w, until, true);
		waitq_put(&pd->turn[use], &w);				/* O5 */
		r = wf_park_unlock(&pd->lock, WAIT_IO, until, true);
		if (r == 0)
			return 0;
		wf_lock(&pd->lock);
	} while (r == -EAGAIN);						/* D3 */
	(void)waitq_remove(&pd->turn[use], &w);
	leave_locked(pd, use, false);
	return r;
}

/* Something was in the way: refs as it was before we added to it. 1 = begin again. */
WF_PARKS static int
enter_slow(struct pd *pd, enum pd_use use, uint64_t refs, int64_t deadline)
{
	/* Who is counted first owns the direction, even one that is to go at once: O2 is a rule
	 * about the count, and those that come after rely on it. PD_OTHER has no turns. */
	bool is_owner = use != PD_OTHER && PD_COUNT(refs, use) == 0;

	WF_POINT("pd.behind");
	wf_lock(&pd->lock);
	if (PD_COUNT(refs, use) >= PD_OPS_MAX) {
		leave_locked(pd, use, /* is_owner */ false);
		wf_panic("too many concurrent operations on a single file or socket (max %d)",
		    (int)PD_OPS_MAX);
	}
	if (refs & PD_CLOSING) {
		leave_locked(pd, use, is_owner);
		if (!(refs & PD_FINAL))
			return -EBADF;
		wait_final(pd);
		return 1;
	}
	return take_turn(pd, use, deadline);
}

int
wf_pd_enter(struct pd *pd, enum pd_use use, int64_t deadline)
{
	uint64_t refs;
	int r;

	do {
		refs = wf_add_acqrel(&pd->refs, PD_ONE(use));		/* O1, P1 */
		if (wf_likely(!(refs & PD_CLOSING) &&
			(use == PD_OTHER ? PD_COUNT(refs, use) < PD_OPS_MAX
					 : PD_COUNT(refs, use) == 0)))
			return 0;					/* O2 */
		r = enter_slow(pd, use, refs, deadline);
	} while (r > 0);
	return r;
}
