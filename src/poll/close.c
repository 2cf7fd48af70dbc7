/*
 * The end of a descriptor: README.md, "Closing".
 */
#include "poll/backend.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/poll.h"

#include <errno.h>

uint32_t
wf_pd_claim_all(struct waitq *q, int result, struct gqueue *ready)
{
	struct waiter *w;
	uint32_t n = 0;

	while ((w = waitq_take(q)) != NULL) {
		if (wf_claim(w, result)) {
			gqueue_put(ready, w->g);
			n++;
		}
	}
	return n;
}

/* Under the lock: whatever is known was of another descriptor. Wakes who still waits for that
 * one; returns how many of them wf_poll_done() must count down. */
static uint32_t
forget_locked(struct pd *pd, struct gqueue *ready)
    WF_HOLDS(pd->lock)
{
	const struct poll_backend *b = wf_poll_backend();
	uint32_t n = 0;

	if (b != NULL)
		b->forget_locked(pd);
	pd->gen++;
	pd->socket_id = 0;
	pd->has_ended = false;
	wf_store_relaxed(&pd->is_drained, false);
	wf_pd_until_clear_locked(pd);
	for (int dir = PD_READ; dir <= PD_WRITE; dir++) {
		n += wf_pd_claim_all(&pd->wait[dir], -EBADF, ready);
		wf_store_relaxed(&pd->ready[dir], 0);	/* readers that matter come after, by P1 */
		wf_store_relaxed(&pd->how[dir], PD_HOW_UNKNOWN);
	}
	return n;
}

/* K2, K3: others are inside. Under the lock, also when it returns. */
WF_PARKS static void
send_away_locked(struct pd *pd)
    WF_HOLDS(pd->lock)
{
	struct gqueue ready = {0};
	struct waiter w;
	uint32_t n = 0;

	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		n += wf_pd_claim_all(&pd->wait[dir], -EBADF, &ready);
	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		(void)wf_pd_claim_all(&pd->turn[dir], -EBADF, &ready);	/* not counted */
	wf_unlock(&pd->lock);
	wf_ready_all(&ready);
	if (n != 0)
		wf_poll_done(n);

	wf_lock(&pd->lock);
	if ((wf_load_acquire(&pd->refs) & PD_COUNT_ALL) == 0)		/* P1 */
		return;
	WF_CHECK(pd->closing.head == NULL);
	wf_waiter_init(&w, WEFT_FOREVER, false);
	waitq_put(&pd->closing, &w);
	(void)wf_park_unlock(&pd->lock, WAIT_IO, WEFT_FOREVER, false);
	wf_lock(&pd->lock);
}

int
wf_pd_close(struct pd *pd)
{
	struct gqueue ready = {0};
	uint64_t refs;
	int r;

	/* As any operation it waits out another close that is past its point of no return. */
	r = wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER);
	if (r < 0)
		return r;
	if (wf_or_acqrel(&pd->refs, PD_CLOSING) & PD_CLOSING) {		/* K1, P1 */
		wf_pd_leave(pd, PD_OTHER);
		return -EBADF;
	}
	wf_lock(&pd->lock);
	refs = wf_sub_acqrel(&pd->refs, PD_ONE(PD_OTHER)) - PD_ONE(PD_OTHER);	/* P1 */
	if (refs & PD_COUNT_ALL)
		send_away_locked(pd);					/* K2, K3 */
	(void)forget_locked(pd, &ready);				/* K4 */
	WF_CHECK(ready.n == 0);
	(void)wf_or_acqrel(&pd->refs, PD_FINAL);			/* P1 */
	wf_unlock(&pd->lock);

	wf_blocking_begin();
	r = wf_os_close(pd_number(pd));					/* K5 */
	wf_blocking_end();

	WF_POINT("pd.closed");
	/* Both under one hold: the next closer must not be taken for one that waits for us. */
	wf_lock(&pd->lock);
	(void)wf_and_acqrel(&pd->refs, ~(PD_CLOSING | PD_FINAL));	/* K6, P1 */
	(void)wf_pd_claim_all(&pd->closing, 0, &ready);
	wf_unlock(&pd->lock);
	wf_ready_all(&ready);
	return r;
}

void
wf_pd_adopt(int fd, enum pd_how how)
{
	struct pd *pd = wf_pd_find(fd);
	struct gqueue ready = {0};
	uint32_t n;

	if (pd == NULL)
		return;
	wf_lock(&pd->lock);
	/* Registered under another's name it is not: the kernel forgot that one when it closed. */
	pd->is_registered = false;
	n = forget_locked(pd, &ready);
	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		wf_store_relaxed(&pd->how[dir], (uint8_t)how);	/* whoever uses fd got it from us */
	wf_unlock(&pd->lock);
	wf_ready_all(&ready);
	if (n != 0)
		wf_poll_done(n);
}
