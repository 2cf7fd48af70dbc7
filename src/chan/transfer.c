/*
 * Sending to a channel and receiving from it. The rules and the races are in README.md; the part
 * that needs no waiting is in ops.h, and its everyday case in quick.h. Knows nothing of select
 * beyond waiter.index.
 */
#include "chan/quick.h"

#include "sched/timer.h"

/* ---- Waiting. The lock is held, and dropped. ---- */

WF_PARKS int
wf_chan_wait_nil(enum wf_wait_reason reason, int64_t deadline)
{
	int r = chan_may_wait(deadline);

	if (r < 0)
		return r;
	return wf_park(NULL, NULL, reason, deadline, true);
}

/* Only its own goroutine takes a waiter off for good; a peer may have, and failed to claim it. */
static WF_COLD void
sendq_leave(struct weft_chan *c, struct waiter *w)
{
	chan_hold at;
	bool taken;

	WF_POINT("chan.gave_up");
	at = chan_lock(c);
	taken = chan_remove_locked(c, &c->sendq, w);
	sendq_taken(c);
	chan_unlock(c, at);
	if (taken)
		wf_taken_await_pass(w);
}

static WF_COLD void
recvq_leave(struct weft_chan *c, struct waiter *w)
{
	chan_hold at;
	bool taken;

	WF_POINT("chan.gave_up");
	at = chan_lock(c);
	taken = chan_remove_locked(c, &c->recvq, w);
	recvq_taken(c);
	chan_unlock(c, at);
	if (taken)
		wf_taken_await_pass(w);
}

/* Out of line: what does not wait needs none of its frame. */
static WF_PARKS int
send_wait(struct weft_chan *c, const void *elem, int64_t deadline, chan_hold at)
    WF_GIVES_BACK(c->lock)
{
	struct waiter w;
	int r = chan_may_wait(deadline);

	if (r < 0) {
		chan_unlock(c, at);
		return r;
	}
	wf_waiter_init(&w, deadline, true);
	w.elem = WF_UNCONST(elem);
	sendq_put(c, &w);
	r = chan_park(c, WAIT_CHAN_SEND, deadline);
	if (r < 0) {
		sendq_leave(c, &w);
		return r;
	}
	/* The channel may be gone by now; the claimer has left word. */
	return wf_returns_from(WAIT_CHAN_SEND, w.n != 0 ? 0 : -EPIPE);
}

static WF_PARKS int
recv_wait(struct weft_chan *c, void *elem, int64_t deadline, chan_hold at)
    WF_GIVES_BACK(c->lock)
{
	struct waiter w;
	int r = chan_may_wait(deadline);

	if (r < 0) {
		chan_unlock(c, at);
		return r;
	}
	wf_waiter_init(&w, deadline, true);
	w.elem = elem;
	recvq_put(c, &w);
	r = chan_park(c, WAIT_CHAN_RECV, deadline);
	if (r < 0) {
		recvq_leave(c, &w);
		return r;
	}
	return wf_returns_from(WAIT_CHAN_RECV, w.n != 0);
}

/* ---- Send and receive ---- */

static WF_ALWAYS_INLINE int
send_held(struct weft_chan *c, const void *elem, int64_t deadline, chan_hold at, bool told)
    WF_GIVES_BACK(c->lock)
{
	struct g *wake = NULL;
	int r;

	r = chan_send_locked(c, elem, &wake, told);
	if (r == CHAN_BLOCKS)
		return send_wait(c, elem, deadline, at);
	chan_unlock(c, at);
	if (wake != NULL)
		wf_ready(wake);
	return r;
}

static WF_ALWAYS_INLINE int
recv_held(struct weft_chan *c, void *elem, int64_t deadline, chan_hold at, bool told)
    WF_GIVES_BACK(c->lock)
{
	struct g *wake = NULL;
	int r;

	r = chan_recv_locked(c, elem, &wake, told);
	if (r == CHAN_BLOCKS)
		return recv_wait(c, elem, deadline, at);
	chan_unlock(c, at);
	if (wake != NULL)
		wf_ready(wake);
	return r;
}

static WF_ALWAYS_INLINE int
send(struct weft_chan *c, const void *elem, int64_t deadline, bool told)
{
	return send_held(c, elem, deadline, chan_lock(c), told);
}

static WF_ALWAYS_INLINE int
recv(struct weft_chan *c, void *elem, int64_t deadline, bool told)
{
	return recv_held(c, elem, deadline, chan_lock(c), told);
}

static WF_COLD int
send_told(struct weft_chan *c, const void *elem, int64_t deadline)
{
	int r;

	wf_told_begin();
	r = send(c, elem, deadline, /* told */ true);
	wf_told_end();
	return r;
}

static WF_COLD int
recv_told(struct weft_chan *c, void *elem, int64_t deadline)
{
	int r;

	wf_told_begin();
	r = recv(c, elem, deadline, /* told */ true);
	wf_told_end();
	return r;
}

WF_PARKS int
wf_chan_send(struct weft_chan *c, const void *elem, int64_t deadline)
{
	return wf_race_told() ? send_told(c, elem, deadline) : send(c, elem, deadline, false);
}

WF_PARKS int
wf_chan_recv(struct weft_chan *c, void *elem, int64_t deadline)
{
	return wf_race_told() ? recv_told(c, elem, deadline) : recv(c, elem, deadline, false);
}

/* The same as the public call, for ThreadSanitizer. */
static WF_COLD int
api_send_told(struct weft_chan *c, const void *elem, int64_t deadline)
{
	int r;

	wf_enter();
	r = send_told(c, elem, deadline);
	wf_leave();
	return r;
}

/* ---- The public calls ---- */

/* Whoever has to wait for the gate, has no channel, or is heard by ThreadSanitizer. */
static WF_PARKS WF_COLD int
api_send_rare(struct weft_chan *c, const void *elem, int64_t deadline)
{
	int r;

	if (wf_race_told() && c != NULL)
		return api_send_told(c, elem, deadline);
	if (wf_likely(c != NULL)) {
		r = chan_look_send(c, deadline);
		if (r != CHAN_BLOCKS)
			return r;
	}
	wf_enter();
	r = wf_likely(c != NULL) ? send(c, elem, deadline, false)
	    : wf_chan_wait_nil(WAIT_CHAN_SEND_NIL, deadline);
	wf_leave();
	return r;
}

/* The rest of a send from inside the runtime. at: the lock is held so; NULL: it is not. */
static WF_PARKS int
api_send(struct weft_chan *c, const void *elem, int64_t deadline, chan_hold at)
    WF_HANDS_OVER("the lock is held if at is not NULL")
{
	int r = CHAN_BLOCKS;

	if (at == NULL) {
		r = chan_look_send(c, deadline);
		if (r == CHAN_BLOCKS)
			at = chan_lock(c);
	}
	if (r == CHAN_BLOCKS)
		r = send_held(c, elem, deadline, at, false);
	wf_leave();
	return r;
}

/*
 * Needs no register of its caller's as long as nothing rare happens. The barriers: a call that is
 * the last thing would take the place of this function, which is then in no trace.
 */
WF_API_PARKS int
weft_chan_send(weft_chan *c, const void *elem, int64_t deadline)
    WF_HANDS_OVER("wf_kept_try_by() takes c's lock")
{
	struct g *wake = NULL;
	chan_hold at;
	struct m *m;
	int r;

	if (wf_unlikely(wf_race_told()) || wf_unlikely(c == NULL) ||
	    wf_unlikely((m = wf_enter_try()) == NULL)) {
		r = api_send_rare(c, elem, deadline);
		wf_compiler_barrier();
		return r;
	}
	at = wf_kept_try_by(&c->lock, 0, wf_load_relaxed(&wf_gate(m)->p_number));
	r = wf_likely(at != NULL) ? quick_send(c, elem, &wake) : CHAN_RARE;
	if (wf_likely(r == 0)) {
		wf_store_release(at, NULL);				/* Z6; J1 */
		if (wake != NULL)
			wf_ready(wake);
		wf_leave_from(m);
		return 0;
	}
	if (r == CHAN_BLOCKS) {
		wf_waits_here(m, WAIT_CHAN_SEND);
		r = send_wait(c, elem, deadline, at);
		wf_leave();
		return wf_returns_here(r);
	}
	r = api_send(c, elem, deadline, at);
	wf_compiler_barrier();
	return r;
}

/* T of README.md: a timer's channel is empty, but the timer may be due already. */
static WF_NOINLINE int
recv_due(struct weft_chan *c, void *elem)
{
	int r;

	wf_enter();
	wf_timers_check();
	r = wf_chan_recv(c, elem, WEFT_NOW);
	wf_leave();
	return r;
}

static WF_COLD int
api_recv_told(struct weft_chan *c, void *elem, int64_t deadline)
{
	int r;

	wf_enter();
	r = recv_told(c, elem, deadline);
	wf_leave();
	if (r == -ETIMEDOUT && (c->flags & WF_CHAN_TIMER) != 0)
		r = recv_due(c, elem);
	if (r >= 0)
		chan_told_received(c, elem, r);
	return r;
}

static WF_PARKS WF_COLD int
api_recv_rare(struct weft_chan *c, void *elem, int64_t deadline)
{
	int r = CHAN_BLOCKS;

	if (wf_race_told() && c != NULL)
		return api_recv_told(c, elem, deadline);
	if (wf_likely(c != NULL))
		r = chan_look_recv(c, elem, deadline);
	if (r == CHAN_BLOCKS) {
		wf_enter();
		r = wf_likely(c != NULL) ? recv(c, elem, deadline, false)
		    : wf_chan_wait_nil(WAIT_CHAN_RECV_NIL, deadline);
		wf_leave();
	}
	if (wf_unlikely(r == -ETIMEDOUT) && c != NULL && (c->flags & WF_CHAN_TIMER) != 0)
		return recv_due(c, elem);
	return r;
}

/* As api_send(). */
static WF_PARKS int
api_recv(struct weft_chan *c, void *elem, int64_t deadline, chan_hold at)
    WF_HANDS_OVER("the lock is held if at is not NULL")
{
	int r = CHAN_BLOCKS;

	if (at == NULL) {
		r = chan_look_recv(c, elem, deadline);
		if (r == CHAN_BLOCKS)
			at = chan_lock(c);
	}
	if (r == CHAN_BLOCKS)
		r = recv_held(c, elem, deadline, at, false);
	wf_leave();
	if (wf_unlikely(r == -ETIMEDOUT) && (c->flags & WF_CHAN_TIMER) != 0)
		return recv_due(c, elem);
	return r;
}

/* As weft_chan_send(). */
WF_API_PARKS int
weft_chan_recv(weft_chan *c, void *elem, int64_t deadline)
    WF_HANDS_OVER("wf_kept_try_by() takes c's lock")
{
	struct g *wake = NULL;
	chan_hold at;
	struct m *m;
	int r;

	if (wf_unlikely(wf_race_told()) || wf_unlikely(c == NULL) ||
	    wf_unlikely((m = wf_enter_try()) == NULL)) {
		r = api_recv_rare(c, elem, deadline);
		wf_compiler_barrier();
		return r;
	}
	at = wf_kept_try_by(&c->lock, 0, wf_load_relaxed(&wf_gate(m)->p_number));
	r = wf_likely(at != NULL) ? quick_recv(c, elem, &wake) : CHAN_RARE;
	if (wf_likely(r == 1)) {
		wf_store_release(at, NULL);				/* Z6; J1 */
		if (wake != NULL)
			wf_ready(wake);
		wf_leave_from(m);
		return 1;
	}
	if (r == CHAN_BLOCKS) {
		wf_waits_here(m, WAIT_CHAN_RECV);
		r = recv_wait(c, elem, deadline, at);
		wf_leave();
		return wf_returns_here(r);
	}
	r = api_recv(c, elem, deadline, at);
	wf_compiler_barrier();
	return r;
}
