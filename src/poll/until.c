/*
 * Deadlines that belong to a descriptor, besides those of the calls: README.md, "Deadlines of a
 * descriptor" (D1-D3). Records beside struct pd, which is full, made when first asked for.
 */
#include "poll/desc.h"

#include "os/os.h"
#include "sched/poll.h"

#include <errno.h>

/* All zero: none. Written under pd->lock; read without, a hint, or under it, then exact. */
struct until {
	_Atomic int64_t at[2];
};

/*
 *   P3  table: release in grow -> acquire in find
 *       Whoever sees a leaf sees memory that is mapped, and zero.
 */
static _Atomic(struct until *) table[PD_TOP];
static _Atomic bool is_used;	/* a hint for those who need not look: set before the first */
static struct wf_lock table_lock;

static struct until *
find(const struct pd *pd)
{
	uint32_t fd = (uint32_t)pd_number(pd);
	struct until *leaf = wf_load_acquire(&table[fd / PD_LEAF]);	/* P3 */

	return leaf == NULL ? NULL : &leaf[fd % PD_LEAF];
}

static struct until *
grow(const struct pd *pd)
{
	uint32_t top = (uint32_t)pd_number(pd) / PD_LEAF;
	struct until *leaf;

	wf_lock(&table_lock);
	if (wf_load_relaxed(&table[top]) == NULL) {	/* the lock orders it */
		leaf = wf_os_map(PD_LEAF * sizeof(*leaf));	/* never freed */
		if (leaf != NULL)
			wf_store_release(&table[top], leaf);	/* P3 */
	}
	wf_unlock(&table_lock);
	return find(pd);
}

int64_t
wf_pd_until(const struct pd *pd, enum pd_use dir, int64_t deadline)
{
	struct until *u;
	int64_t at;

	if (wf_likely(!wf_load_relaxed(&is_used)))	/* pd->lock orders it for who set it */
		return deadline;
	u = find(pd);
	at = u == NULL ? 0 : wf_load_relaxed(&u->at[dir]);
	return at == 0 ? deadline : wf_min(deadline, at);
}

void
wf_pd_until_clear_locked(const struct pd *pd)
{
	struct until *u = wf_load_relaxed(&is_used) ? find(pd) : NULL;

	if (u != NULL) {
		wf_store_relaxed(&u->at[PD_READ], 0);	/* under the lock */
		wf_store_relaxed(&u->at[PD_WRITE], 0);
	}
}

int
wf_pd_until_set(struct pd *pd, enum pd_use dir, int64_t at)
{
	struct gqueue ready = {0};
	struct until *u = find(pd);
	uint32_t n;

	if (u == NULL && (u = grow(pd)) == NULL)
		return -ENOMEM;
	wf_store_relaxed(&is_used, true);
	wf_lock(&pd->lock);						/* D1 */
	wf_store_relaxed(&u->at[dir], at == WEFT_FOREVER ? 0 : wf_max(at, 1));
	n = wf_pd_claim_all(&pd->wait[dir], 0, &ready);			/* D2 */
	(void)wf_pd_claim_all(&pd->turn[dir], -EAGAIN, &ready);		/* D3 */
	wf_unlock(&pd->lock);
	wf_ready_all(&ready);
	if (n != 0)
		wf_poll_done(n);
	return 0;
}
