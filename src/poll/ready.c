/*
 * Waiting until a descriptor is ready, and being told: README.md, "Readiness".
 */
#include "poll/backend.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/poll.h"

#include <errno.h>

#define IS_OWNER 1u		/* waiter.index: it owns the direction; polls have 0 */
#define NAP_NS 1000000		/* where nothing tells when to ask again */

/* What changes a direction. Those of poll(2) have the same values. */
static const uint32_t dir_events[2] = {
    EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR,
    EPOLLOUT | EPOLLHUP | EPOLLERR,
};

/* R8. What follows data without being data, or stands between two pieces of it. */
#define END_EVENTS ((uint32_t)EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)

/* What a goroutine waits for. On its stack. */
struct wait {
	struct waiter w[2];	/* in the queue of each direction that it wants */
	bool wants[2];
	bool is_owner;		/* of the only direction that it wants */
	uint32_t events;
	struct pd_receive *receive;	/* of the owner; or NULL */
};

/*
 * One park, under the lock, which it releases. With naps it is over after NAP_NS, whatever comes.
 * 0, -EAGAIN (nothing came that was asked for, or the backend can't just now: nap), -EBADF, ...
 */
WF_PARKS static int
park_locked(struct pd *pd, struct wait *wt, int64_t deadline, bool naps)
    WF_GIVES_BACK(pd->lock)
{
	const struct poll_backend *b = wf_poll_backend();
	enum pd_use first = wt->wants[PD_READ] ? PD_READ : PD_WRITE;
	struct pd_arm arm;
	int64_t until = naps ? wf_min(deadline, wf_os_now() + NAP_NS) : deadline;
	int r;

	arm.receive = wt->receive;
	r = naps ? 0 : b->arm_locked(pd, &arm, &wt->w[first], first, wt->events);	/* R4 */
	if (r < 0) {
		wf_unlock(&pd->lock);
		return r;
	}
	for (int dir = PD_READ; dir <= PD_WRITE; dir++) {
		wf_waiter_init(&wt->w[dir], until, true);
		wt->w[dir].index = wt->is_owner ? IS_OWNER : 0;
		if (!wt->is_owner)
			wt->w[dir].solo = false;	/* it may be on two queues */
		if (wt->wants[dir])
			waitq_put(&pd->wait[dir], &wt->w[dir]);
	}
	wf_poll_count_locked(pd);
	r = wf_park_unlock(&pd->lock, WAIT_IO, until, true);
	if (!wt->is_owner || (r != 0 && r != -EBADF)) {	/* who wakes an owner takes it off */
		wf_lock(&pd->lock);
		for (int dir = PD_READ; dir <= PD_WRITE; dir++)
			(void)waitq_remove(&pd->wait[dir], &wt->w[dir]);
		wf_unlock(&pd->lock);
	}
	if (r != 0 && r != -EBADF)	/* else who woke us counts us down */
		wf_poll_done(1);
	if (naps)
		return r == -ETIMEDOUT && until != deadline ? 0 : r;
	return b->disarm != NULL && !b->disarm(&arm) && r == 0 ? -EAGAIN : r;
}

/* Parks until it is time to ask again. Under the lock, which it releases. As wf_pd_wait(). */
WF_PARKS static int
wait_locked(struct pd *pd, struct wait *wt, int64_t deadline)
    WF_GIVES_BACK(pd->lock)
{
	int r = wf_poll_turn_on();

	if (r < 0) {
		wf_unlock(&pd->lock);
		return r;
	}
	r = park_locked(pd, wt, deadline, /* naps */ false);
	if (wf_likely(r != -EAGAIN))
		return r;
	wf_lock(&pd->lock);
	if (wf_load_relaxed(&pd->refs) & PD_CLOSING) {	/* as in wf_pd_wait() */
		wf_unlock(&pd->lock);
		return -EBADF;
	}
	return park_locked(pd, wt, deadline, /* naps */ true);
}

int
wf_pd_wait(struct pd *pd, enum pd_use dir, int64_t deadline, struct pd_receive *receive)
{
	bool unasked = dir == PD_READ && wf_load_relaxed(&pd->is_drained);
	struct wait wt;
	int r;

	if (unasked)
		wf_store_relaxed(&pd->is_drained, false);	/* for this wait only */
	WF_POINT("pd.eagain");
	wf_lock(&pd->lock);						/* R3 */
	/* Before all else: what may not wait should not cost a registration. */
	deadline = wf_pd_until(pd, dir, deadline);			/* D1 */
	r = wf_park_check(deadline, true);
	if (r < 0) {
		wf_unlock(&pd->lock);
		return r;
	}
	if (wf_load_relaxed(&pd->refs) & PD_CLOSING) {	/* K2 has had the lock, or will */
		wf_unlock(&pd->lock);
		return -EBADF;
	}
	if (wf_load_relaxed(&pd->ready[dir]) != 0 || (unasked && pd->has_ended)) {	/* R8 */
		wf_store_relaxed(&pd->ready[dir], 0);
		wf_unlock(&pd->lock);
		return 0;
	}
	wt.wants[PD_READ] = dir == PD_READ;
	wt.wants[PD_WRITE] = dir == PD_WRITE;
	wt.is_owner = true;
	wt.events = dir_events[dir];
	wt.receive = receive;
	if (dir == PD_READ) {
		pd->is_unasked = unasked;
		pd->unasked_seen = false;
	}
	WF_POINT("pd.parks");
	return wait_locked(pd, &wt, deadline);
}

int
wf_pd_poll(struct pd *pd, short events, int64_t deadline)
{
	struct wait wt = {.events = (uint16_t)events};
	int r;

	wt.wants[PD_WRITE] = (events & (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)) != 0;
	/* Errors and hang-ups wake both directions. */
	wt.wants[PD_READ] = !wt.wants[PD_WRITE] ||
	    (events & (EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI | EPOLLRDHUP)) != 0;
	do {
		wf_lock(&pd->lock);
		if (wf_load_relaxed(&pd->refs) & PD_CLOSING) {	/* as in wf_pd_wait() */
			wf_unlock(&pd->lock);
			return -EBADF;
		}
		r = wf_os_poll_now(pd_number(pd), events);
		if (r > 0 && (r & EPOLLPRI))
			pd->has_ended = true;				/* R8 */
		if (r == 0)
			r = wf_park_check(deadline, true);
		if (r != 0) {
			wf_unlock(&pd->lock);
			return r;
		}
		r = wait_locked(pd, &wt, deadline);
	} while (r == 0);
	return r;
}

/* R5 for one direction. Returns whether the owner was among those woken. */
static bool
wake_locked(struct waitq *q, struct gqueue *ready)
    WF_HOLDS_UNNAMED("of the descriptor whose queue it is")
{
	bool owner = false;
	struct waiter *w;

	while ((w = waitq_take(q)) != NULL) {
		bool is_owner = w->index == IS_OWNER;

		if (wf_claim(w, 0)) {
			gqueue_put(ready, w->g);
			owner |= is_owner;
		}
	}
	return owner;
}

void
wf_pd_expect(struct pd *pd, bool soon)
{
	const char *what;

	/* For what is read here only: by the time of the prefetch it may have gone. */
	wf_lock(&pd->lock);
	what = (const char *)pd->wait[PD_READ].head;
	if (soon && what != NULL)
		what = (const char *)pd->wait[PD_READ].head->g;
	wf_unlock(&pd->lock);
	for (size_t at = 0; what != NULL && at < sizeof(struct g); at += WF_CACHELINE / 2)
		wf_prefetch(what + at);
}

void
wf_pd_event(struct pd *pd, uint32_t gen, uint32_t events, struct gqueue *ready)
{
	wf_lock(&pd->lock);
	if (pd->gen == gen && pd->is_registered) {
		if (events & END_EVENTS)
			pd->has_ended = true;				/* R8 */
		for (int dir = PD_READ; dir <= PD_WRITE; dir++)
			if ((events & dir_events[dir]) && !wake_locked(&pd->wait[dir], ready))
				wf_store_release(&pd->ready[dir], 1);		/* R6 */
	}
	wf_unlock(&pd->lock);
}

/* Is what we registered still what the number means? If not, registers that. */
static void
check_locked(struct pd *pd, struct gqueue *ready)
    WF_HOLDS(pd->lock)
{
	uint64_t id;
	int r = wf_os_socket_id(pd_number(pd), &id);

	if (r == 0 && id != 0 && id == pd->socket_id)
		return;
	if (r == 0)
		r = wf_poll_backend()->renew_locked(pd);
	if (r >= 0) {
		pd->socket_id = id;
		wf_store_relaxed(&pd->how[PD_READ], PD_HOW_UNKNOWN);	/* a cache */
	}
	if (r == 0)
		return;
	/* Closed, or nothing that can be polled: those that wait shall ask and be told so. */
	pd->is_registered = false;
	pd->gen++;
	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		(void)wake_locked(&pd->wait[dir], ready);
}

void
wf_pd_took_urgent(struct pd *pd)
{
	wf_lock(&pd->lock);
	pd->has_ended = true;						/* R8 */
	wf_unlock(&pd->lock);
}

/*
 * R9. Not by nwaits: others may begin to wait here, again and again, while the reader waits on.
 * True: this was the first look.
 */
static bool
look_unasked_locked(struct pd *pd, struct gqueue *ready)
    WF_HOLDS(pd->lock)
{
	bool first = pd->is_unasked && !pd->unasked_seen;

	if (pd->is_unasked && !first) {
		(void)wake_locked(&pd->wait[PD_READ], ready);
		pd->is_unasked = false;
	}
	pd->unasked_seen = first;
	return first;
}

bool
wf_pd_look(struct pd *pd, struct gqueue *ready)
{
	bool again = false;

	wf_lock(&pd->lock);
	if (pd->wait[PD_READ].head != NULL || pd->wait[PD_WRITE].head != NULL) {
		if (pd->nwaits != pd->nwaits_seen) {
			again = true;	/* begun since the last look: most are soon over */
		} else {
			check_locked(pd, ready);
		}
		again |= look_unasked_locked(pd, ready);
		pd->nwaits_seen = pd->nwaits;
	}
	pd->on_look = again;
	wf_unlock(&pd->lock);
	return again;
}
