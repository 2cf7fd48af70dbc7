/*
 * Waiting until a descriptor is ready, and being told: README.md, "Readiness".
 */
#include "poll/backend.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/poll.h"

#include <errno.h>

#define IS_OWNER 1u	/* waiter.index: it owns the direction; polls have 0 */

/* What changes a direction. */
static const uint32_t dir_events[2] = {
    EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR,
    EPOLLOUT | EPOLLHUP | EPOLLERR,
};

/* Under pd->lock: prepares a park of w until one of events comes. 0 or as wf_pd_wait(). */
static int
arm_locked(struct pd *pd, struct pd_arm *arm, struct waiter *w, uint32_t events)
{
	int r = wf_poll_turn_on();

	return r < 0 ? r : wf_poll_backend->arm_locked(pd, arm, w, events);
}

WF_PARKS static void
disarm(struct pd_arm *arm)
{
	if (wf_poll_backend->disarm != NULL)
		wf_poll_backend->disarm(arm);
}

int
wf_pd_wait(struct pd *pd, enum pd_use dir, int64_t deadline)
{
	struct pd_arm arm;
	struct waiter w;
	int r;

	/* Before all else: what may not wait should not cost a registration. */
	r = wf_park_check(deadline, true);
	if (r < 0)
		return r;
	WF_POINT("pd.eagain");
	wf_lock(&pd->lock);						/* R3 */
	if (wf_load_relaxed(&pd->refs) & PD_CLOSING) {	/* K2 has had the lock, or will */
		wf_unlock(&pd->lock);
		return -EBADF;
	}
	if (wf_load_relaxed(&pd->ready[dir]) != 0) {	/* under the lock */
		wf_store_relaxed(&pd->ready[dir], 0);
		wf_unlock(&pd->lock);
		return 0;
	}
	wf_waiter_init(&w, deadline, true);
	w.index = IS_OWNER;
	r = arm_locked(pd, &arm, &w, dir_events[dir]);			/* R4 */
	if (r < 0) {
		wf_unlock(&pd->lock);
		return r;
	}
	waitq_put(&pd->wait[dir], &w);
	wf_poll_count_locked(pd);
	r = wf_park_unlock(&pd->lock, WAIT_IO, deadline, true);
	if (r != 0 && r != -EBADF) {	/* else who woke us took us off, and counts us down */
		wf_lock(&pd->lock);
		(void)waitq_remove(&pd->wait[dir], &w);
		wf_unlock(&pd->lock);
		wf_poll_done(1);
	}
	disarm(&arm);
	return r;
}

/* One wait of a poll, under the lock, which it releases. 0: to look again. */
WF_PARKS static int
poll_park_locked(struct pd *pd, short events, int64_t deadline)
{
	/* Those of poll(2) have the same values. */
	bool wants[2] = {
	    (events & (EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI | EPOLLRDHUP)) != 0,
	    (events & (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)) != 0,
	};
	struct pd_arm arm;
	struct waiter w[2];
	int r;

	if (!wants[PD_READ] && !wants[PD_WRITE])
		wants[PD_READ] = true;	/* errors and hang-ups wake both directions */
	for (int dir = PD_READ; dir <= PD_WRITE; dir++) {
		wf_waiter_init(&w[dir], deadline, true);
		w[dir].solo = false;	/* it may be on two queues */
	}
	r = arm_locked(pd, &arm, &w[wants[PD_READ] ? PD_READ : PD_WRITE], (uint16_t)events);
	if (r < 0) {
		wf_unlock(&pd->lock);
		return r;
	}
	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		if (wants[dir])
			waitq_put(&pd->wait[dir], &w[dir]);
	wf_poll_count_locked(pd);
	r = wf_park_unlock(&pd->lock, WAIT_IO, deadline, true);
	wf_lock(&pd->lock);
	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		(void)waitq_remove(&pd->wait[dir], &w[dir]);
	wf_unlock(&pd->lock);
	if (r != 0 && r != -EBADF)
		wf_poll_done(1);
	disarm(&arm);
	return r;
}

int
wf_pd_poll(struct pd *pd, short events, int64_t deadline)
{
	int r;

	do {
		wf_lock(&pd->lock);
		if (wf_load_relaxed(&pd->refs) & PD_CLOSING) {	/* as in wf_pd_wait() */
			wf_unlock(&pd->lock);
			return -EBADF;
		}
		r = wf_os_poll_now(pd_number(pd), events);
		if (r == 0)
			r = wf_park_check(deadline, true);
		if (r != 0) {
			wf_unlock(&pd->lock);
			return r;
		}
		r = poll_park_locked(pd, events, deadline);
	} while (r == 0);
	return r;
}

/* R5 for one direction. Returns whether the owner was among those woken. */
static bool
wake_locked(struct waitq *q, struct gqueue *ready)
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
wf_pd_event(struct pd *pd, uint32_t gen, uint32_t events, struct gqueue *ready)
{
	wf_lock(&pd->lock);
	if (pd->gen == gen && pd->is_registered)
		for (int dir = PD_READ; dir <= PD_WRITE; dir++)
			if ((events & dir_events[dir]) && !wake_locked(&pd->wait[dir], ready))
				wf_store_relaxed(&pd->ready[dir], 1);	/* R6, under the lock */
	wf_unlock(&pd->lock);
}

/* Is what we registered still what the number means? If not, registers that. */
static void
check_locked(struct pd *pd, struct gqueue *ready)
{
	uint64_t id;
	int r = wf_os_socket_id(pd_number(pd), &id);

	if (r == 0 && id != 0 && id == pd->socket_id)
		return;
	if (r == 0)
		r = wf_poll_backend->renew_locked(pd);
	if (r >= 0)
		pd->socket_id = id;
	if (r == 0)
		return;
	/* Closed, or nothing that can be polled: those that wait shall ask and be told so. */
	pd->is_registered = false;
	pd->gen++;
	for (int dir = PD_READ; dir <= PD_WRITE; dir++)
		(void)wake_locked(&pd->wait[dir], ready);
}

bool
wf_pd_look(struct pd *pd, struct gqueue *ready)
{
	bool again = false;

	wf_lock(&pd->lock);
	if (pd->wait[PD_READ].head != NULL || pd->wait[PD_WRITE].head != NULL) {
		if (pd->nwaits != pd->nwaits_seen)
			again = true;	/* begun since the last look: most are soon over */
		else
			check_locked(pd, ready);
		pd->nwaits_seen = pd->nwaits;
	}
	pd->on_look = again;
	wf_unlock(&pd->lock);
	return again;
}
