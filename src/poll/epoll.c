/*
 * The one epoll instance of the process, and what sched/poll.h asks for: README.md. Knows of a
 * descriptor only how it is registered.
 *
 *   W1  wake_pending: acq_rel exchanges in wf_poll_wake and drain
 *       A waker that finds the flag set writes nothing; the waiter that clears it later sees
 *       everything the waker did before, and looks for work after.
 *   W2  nwaiters: release in wf_poll_done -> acquire in wf_poll_nwaiters
 *       Who sees a waiter gone sees that it was made runnable.
 *   W3  instance: release in turn_on -> acquire in its readers
 *       Who sees that the poller is on sees its descriptors.
 *   W4  look_list: release in push -> acquire exchange in wf_poll_revalidate
 *       Who takes the list sees its links.
 */
#include "sched/poll.h"

#include "base/assert.h"
#include "os/os.h"
#include "poll/desc.h"

#include <errno.h>

#define EVENTS ((uint32_t)EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | (uint32_t)EPOLLET)
#define WAKE_DATA UINT64_MAX	/* no descriptor has this number */
#define BATCH 128		/* as Go; 1.5 KB of stack */
#define OFF_SLEEP_NS 10000000	/* without an instance: time to try again */

static _Atomic bool is_on;			/* W3 */
static int epoll_fd;				/* constant once is_on */
static int wake_fd;				/* constant once is_on */
static struct wf_lock on_lock;			/* of turning on */

static _Atomic uint32_t wake_pending;		/* W1 */
static _Atomic int nwaiters;			/* W2 */

static _Atomic(struct pd *) look_list;		/* W4 */
static struct wf_lock woken_lock;
static struct gqueue woken;			/* under woken_lock: by wf_poll_revalidate() */
static _Atomic uint32_t nwoken;			/* a hint: woken.n. Written under woken_lock */

/* 0, or -EMFILE and the like: tried again next time. */
static int
turn_on(void)
{
	int ep, wake, r;

	if (wf_likely(wf_load_acquire(&is_on)))				/* W3 */
		return 0;
	wf_lock(&on_lock);
	if (wf_load_relaxed(&is_on)) {	/* the lock orders it */
		wf_unlock(&on_lock);
		return 0;
	}
	r = ep = wf_os_epoll_create();
	if (ep >= 0) {
		r = wake = wf_os_eventfd();
		if (wake >= 0)
			r = wf_os_epoll_ctl(ep, EPOLL_CTL_ADD, wake, EPOLLIN, WAKE_DATA);
		if (wake >= 0 && r < 0)
			(void)wf_os_close(wake);
		if (r < 0)
			(void)wf_os_close(ep);
	}
	if (r >= 0) {
		epoll_fd = ep;
		wake_fd = wake;
		wf_store_release(&is_on, true);				/* W3 */
	}
	wf_unlock(&on_lock);
	return r;
}

bool
wf_poll_is_on(void)
{
	return wf_load_acquire(&is_on);					/* W3 */
}

int
wf_poll_nwaiters(void)
{
	return wf_load_acquire(&nwaiters);				/* W2 */
}

void
wf_poll_done(uint32_t n)
{
	int before = wf_sub_acqrel(&nwaiters, (int)n);			/* W2 */

	WF_CHECK(before >= (int)n);
}

static void
push_look(struct pd *pd)
{
	struct pd *first = wf_load_relaxed(&look_list);	/* the CAS checks it */

	do
		pd->look_next = first;
	while (!wf_cas_release(&look_list, &first, pd));		/* W4 */
}

void
wf_poll_count_locked(struct pd *pd)
{
	(void)wf_add_acqrel(&nwaiters, 1);
	pd->nwaits++;
	if (!pd->on_look) {
		pd->on_look = true;
		push_look(pd);
	}
}

static uint64_t
data_of(const struct pd *pd)
{
	return (uint64_t)pd->gen << 32 | (uint32_t)pd_number(pd);
}

int
wf_poll_register_locked(struct pd *pd)
{
	int r = turn_on();

	if (r < 0)
		return r;
	r = wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pd_number(pd), EVENTS, data_of(pd));
	if (r == -EEXIST)	/* the same file again under the same number, by dup2(2) */
		r = wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, pd_number(pd), EVENTS, data_of(pd));
	pd->is_registered = r == 0;
	return r;
}

int
wf_poll_renew_locked(struct pd *pd)
{
	int r = wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, pd_number(pd), EVENTS, data_of(pd));

	if (r == 0)
		return 0;
	pd->gen++;
	return wf_poll_register_locked(pd);
}

void
wf_poll_unregister_locked(struct pd *pd)
{
	if (!pd->is_registered)
		return;
	/* Fails if the number was closed or means another file by now: nothing to do then. */
	(void)wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_DEL, pd_number(pd), 0, 0);
	pd->is_registered = false;
}

/* The thread that waited has been woken by wf_poll_wake(). */
static void
drain(void)
{
	uint64_t count;

	(void)wf_os_read(wake_fd, &count, sizeof(count));
	(void)wf_xchg_acqrel(&wake_pending, 0u);			/* W1 */
}

void
wf_poll_wake(void)
{
	static const uint64_t one = 1;

	/*
	 * Not "if it is on": the waiter may just be turning it on, and has looked for work
	 * before.
	 */
	if (turn_on() < 0)	/* and nobody sleeps long without an instance */
		return;
	if (wf_xchg_acqrel(&wake_pending, 1u) == 0)			/* W1 */
		(void)wf_os_write(wake_fd, &one, sizeof(one));
}

static void
take_woken(struct gqueue *q)
{
	if (wf_likely(wf_load_relaxed(&nwoken) == 0))	/* missed now, found by the next */
		return;
	wf_lock(&woken_lock);
	gqueue_append(q, &woken);
	wf_store_relaxed(&nwoken, 0u);
	wf_unlock(&woken_lock);
}

/* There is no instance, and none can be had. */
static void
wait_off(int64_t timeout_ns)
{
	static _Atomic uint32_t never;
	int64_t ns = timeout_ns < 0 || timeout_ns > OFF_SLEEP_NS ? OFF_SLEEP_NS : timeout_ns;

	if (ns > 0)
		(void)wf_os_futex_wait(&never, 0, wf_os_now() + ns);
}

void
wf_poll_wait(int64_t timeout_ns, struct gqueue *q)
{
	struct epoll_event ev[BATCH];
	bool is_woken = false;
	int n;

	if (turn_on() < 0) {
		wait_off(timeout_ns);
		return;
	}
	n = wf_os_epoll_wait(epoll_fd, ev, BATCH, timeout_ns);
	for (int i = 0; i < n; i++) {
		uint64_t data = ev[i].data.u64;

		if (data == WAKE_DATA)
			is_woken = true;
		else
			wf_pd_event(wf_pd_find((int)(uint32_t)data), (uint32_t)(data >> 32),
			    ev[i].events, q);
	}
	if (is_woken && timeout_ns != 0)
		drain();
	take_woken(q);
}

bool
wf_poll_wants_look(void)
{
	return wf_load_acquire(&look_list) != NULL;			/* W4 */
}

bool
wf_poll_revalidate(void)
{
	struct pd *pd = wf_xchg_acquire(&look_list, NULL);		/* W4 */
	struct gqueue ready = {0};
	bool more = false;

	while (pd != NULL) {
		/* Once off the list it may be pushed anew by others, so the link comes first. */
		struct pd *next = pd->look_next;

		if (wf_pd_look(pd, &ready)) {
			push_look(pd);
			more = true;
		}
		pd = next;
	}
	if (ready.n != 0) {
		/* The caller may have no P: whoever polls next makes them runnable. */
		wf_lock(&woken_lock);
		gqueue_append(&woken, &ready);
		wf_store_relaxed(&nwoken, woken.n);
		wf_unlock(&woken_lock);
		wf_poll_wake();
	}
	return more;
}
