/*
 * The poller of the process, whatever its backend: what sched/poll.h asks for. README.md. Knows of
 * a descriptor only that it may have to be looked at again.
 *
 *   W1  wake_pending: acq_rel exchanges in wf_poll_wake and wf_poll_wait
 *       A waker that finds the flag set kicks nobody; the waiter that clears it later sees
 *       everything the waker did before, and looks for work after.
 *   W2  nwaiters: release in wf_poll_done -> acquire in wf_poll_nwaiters
 *       Who sees a waiter gone sees that it was made runnable.
 *   W3  backend: release in turn_on -> acquire in its readers
 *       Who sees which backend it is sees what that has made.
 *   W4  look_list: release in push -> acquire exchange in wf_poll_revalidate
 *       Who takes the list sees its links.
 */
#include "sched/poll.h"

#include "base/assert.h"
#include "os/os.h"
#include "poll/backend.h"
#include "poll/ring.h"
#include "sched/settings.h"

#define OFF_SLEEP_NS 10000000	/* without a backend: time to try again */

static _Atomic(const struct poll_backend *) backend;	/* W3; NULL: not chosen */
static struct wf_lock on_lock;			/* of choosing, and of watching the ring */
static _Atomic bool watches_ring;		/* W3 likewise */

static _Atomic uint32_t wake_pending;		/* W1 */
static _Atomic int nwaiters;			/* W2 */

static _Atomic(struct pd *) look_list;		/* W4 */
static struct wf_lock woken_lock;
static struct gqueue woken WF_GUARDED_BY(woken_lock);	/* by wf_poll_revalidate() */
static _Atomic uint32_t nwoken;			/* a hint: woken.n. Written under woken_lock */

const struct poll_backend *
wf_poll_backend(void)
{
	return wf_load_acquire(&backend);				/* W3 */
}

int
wf_poll_turn_on(void)
{
	const struct poll_backend *b = &wf_poll_epoll;
	int r = 0;

	if (wf_likely(wf_poll_backend() != NULL))
		return 0;
	wf_lock(&on_lock);
	if (wf_load_relaxed(&backend) == NULL) {	/* the lock orders it */
		if (wf_settings()->poller == WF_POLLER_URING && wf_ring_on())
			b = &wf_poll_uring;
		r = b->open();
		if (r >= 0)
			wf_store_release(&backend, b);			/* W3 */
	}
	wf_unlock(&on_lock);
	return r;
}

bool
wf_poll_has_ring(void)
{
	bool has;

	if (wf_likely(wf_load_acquire(&watches_ring)))			/* W3 */
		return true;
	if (wf_poll_turn_on() < 0 || !wf_ring_on())
		return false;
	wf_lock(&on_lock);
	has = wf_load_relaxed(&watches_ring) || wf_poll_backend()->watch_ring == NULL ||
	    wf_poll_backend()->watch_ring(wf_ring_fd()) == 0;
	wf_store_release(&watches_ring, has);				/* W3 */
	wf_unlock(&on_lock);
	return has;
}

bool
wf_poll_is_on(void)
{
	return wf_poll_backend() != NULL;
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
wf_poll_count(void)
{
	(void)wf_add_acqrel(&nwaiters, 1);
}

void
wf_poll_count_locked(struct pd *pd)
{
	wf_poll_count();
	pd->nwaits++;
	if (!pd->on_look) {
		pd->on_look = true;
		push_look(pd);
	}
}

void
wf_poll_wake(void)
{
	/*
	 * Not "if it is on": the waiter may just be turning it on, and has looked for work
	 * before.
	 */
	if (wf_poll_turn_on() < 0)	/* and nobody sleeps long without a backend */
		return;
	if (wf_xchg_acqrel(&wake_pending, 1u) == 0)			/* W1 */
		wf_poll_backend()->kick();
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

/* There is no backend, and none can be had. */
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
	if (wf_poll_turn_on() < 0) {
		wait_off(timeout_ns);
		return;
	}
	if (wf_poll_backend()->wait(timeout_ns, q))
		(void)wf_xchg_acqrel(&wake_pending, 0u);		/* W1 */
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
