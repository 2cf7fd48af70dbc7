/*
 * Channels: making, closing, freeing, and what timers want of them. Sending and receiving:
 * transfer.c. The rules and the races are in README.md.
 */
#include "chan/chan.h"
#include "chan/ops.h"
#include "sched/panic.h"

#include <stdlib.h>

/* From here on the count is stuck: far from 0, and from wrapping by refs still in flight. */
#define REFS_STUCK 0x80000000u
#define REFS_STUCK_AT 0xc0000000u

/* ---- Life ---- */

struct weft_chan *
wf_chan_new(size_t elem_size, size_t cap, unsigned flags)
{
	struct weft_chan *c;
	size_t bytes;

	if (__builtin_mul_overflow(elem_size, cap, &bytes) ||
	    bytes > PTRDIFF_MAX - sizeof(*c) - TOLD_SLOTS)
		return NULL;
	c = malloc(sizeof(*c) + bytes + told_bytes(elem_size, cap));
	if (c == NULL)
		return NULL;

	memset(c, 0, sizeof(*c));
	wf_store_relaxed(&c->refs, 1u);		/* nobody else has it yet */
	c->flags = (uint8_t)flags;
	c->cap = cap;
	c->elem_size = elem_size;
	c->patience = CHAN_PATIENCE;
	return c;
}

WEFT_API weft_chan *
weft_chan_new(size_t elem_size, size_t cap)
{
	return wf_chan_new(elem_size, cap, 0);
}

static WF_COLD WF_NORETURN void
die(const weft_chan *c, const char *what)
{
	wf_enter();
	wf_fatal_help(what,
	    "channel %p: whoever uses it needs a reference; unref once for each new and ref, when "
	    "it is used no more", (const void *)c);
}

WEFT_API weft_chan *
weft_chan_ref(weft_chan *c)
{
	uint32_t old;

	if (c == NULL)
		return NULL;
	/* Relaxed: whoever takes one more has one already. */
	old = wf_add_relaxed(&c->refs, 1u);
	if (wf_unlikely(old == 0))
		die(c, "chan: reference taken to a freed channel");
	if (wf_unlikely(old >= REFS_STUCK))
		wf_store_relaxed(&c->refs, REFS_STUCK_AT);	/* never to be freed again */
	return c;
}

/*
 * Who saw the close without the lock (N1) can be here before the closer has unlocked. The lock
 * waits for it.
 */
static WF_NOINLINE void
await_closer(weft_chan *c)
{
	if (wf_load_acquire(&c->lock.word) == 0)		/* L1 */
		return;
	wf_enter();
	chan_unlock(c, chan_lock(c));
	wf_leave();
}

WEFT_API void
weft_chan_unref(weft_chan *c)
{
	bool is_waited_on;
	uint32_t old;

	if (c == NULL)
		return;
	wf_race_release(&c->refs);
	old = wf_sub_acqrel(&c->refs, 1u);			/* N3 */
	if (wf_likely(old > 1 && old < REFS_STUCK))
		return;
	if (old >= REFS_STUCK) {
		wf_store_relaxed(&c->refs, REFS_STUCK_AT);	/* never to be freed again */
		return;
	}
	if (old == 0)
		die(c, "chan: unref of a freed channel");
	if (wf_load_relaxed(&c->closed))	/* N3 */
		await_closer(c);
	/* Relaxed: nobody who had a reference touches the channel any more (N3). */
	is_waited_on = wf_load_relaxed(&c->has_receiver) || wf_load_relaxed(&c->has_sender);
	if (is_waited_on)
		die(c, "chan: last reference dropped while goroutines wait on the channel");
	wf_race_acquire(&c->refs);
	free(c);
}

WEFT_API size_t
weft_chan_len(const weft_chan *c)
{
	if (c == NULL || (c->flags & WF_CHAN_TIMER) != 0)
		return 0;
	return wf_load_relaxed(&c->count);	/* a snapshot, stale when it is returned */
}

WEFT_API size_t
weft_chan_cap(const weft_chan *c)
{
	if (c == NULL || (c->flags & WF_CHAN_TIMER) != 0)
		return 0;
	return c->cap;
}

/* ---- Close ---- */

/* R9. The queues are emptied after closed is set, so that whoever sees them empty and asks
 * again sees closed (N2). */
bool
wf_chan_close_take(struct weft_chan *c, struct waitq *receivers, struct waitq *senders)
{
	chan_hold at;

	wf_race_release(&c->closed);
	at = chan_lock(c);
	if (wf_load_relaxed(&c->closed)) {		/* we hold the lock */
		chan_unlock(c, at);
		return false;
	}
	wf_store_release(&c->closed, true);		/* N1 */
	waitq_append(receivers, &c->recvq);		/* Y1 */
	recvq_taken(c);
	waitq_append(senders, &c->sendq);
	sendq_taken(c);
	chan_unlock(c, at);		/* The last touch. */
	WF_POINT("chan.closed");
	return true;
}

WF_PARKS bool
wf_chan_close_quiet(struct weft_chan *c)
{
	struct waitq receivers = {0}, senders = {0};
	size_t elem_size = c->elem_size;

	if (!wf_chan_close_take(c, &receivers, &senders))
		return false;
	wf_taken_release_all(&receivers, elem_size);	/* Y2 */
	wf_taken_release_all(&senders, 0);
	return true;
}

WF_API_PARKS void
weft_chan_close(weft_chan *c)
{
	wf_enter();
	if (c == NULL)
		wf_panic_help("close of nil channel", "weft_chan_close: c is NULL");
	if (!wf_chan_close_quiet(c))
		wf_panic_help("close of closed channel",
		    "channel %p: close it once; of many senders let one do it when all have ended",
		    (void *)c);
	wf_leave();
}

/* ---- For timers ---- */

int
wf_chan_trysend_collect(struct weft_chan *c, const void *elem, struct gqueue *ready)
{
	chan_hold at = chan_lock(c);
	struct g *wake = NULL;
	int r;

	r = chan_send_locked(c, elem, &wake, /* told */ false);
	chan_unlock(c, at);
	if (wake != NULL)
		gqueue_put(ready, wake);
	return r == CHAN_BLOCKS ? -ETIMEDOUT : r;
}

size_t
wf_chan_drain(struct weft_chan *c)
{
	chan_hold at = chan_lock(c);
	size_t n;

	n = wf_load_relaxed(&c->count);		/* we hold the lock */
	c->take_at = c->put_at = 0;
	wf_store_release(&c->count, (size_t)0);	/* N2 */
	chan_unlock(c, at);
	return n;
}
