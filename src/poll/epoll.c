/*
 * The backend over epoll(7): one instance, in which a descriptor stays from its first wait until it
 * is closed. README.md, "Readiness". Knows of a descriptor only how it is registered.
 */
#include "poll/backend.h"

#include "os/os.h"
#include "poll/ring.h"

#include <errno.h>

#define EVENTS ((uint32_t)EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | (uint32_t)EPOLLET)
#define WAKE_DATA UINT64_MAX		/* no descriptor has this number */
#define RING_DATA (UINT64_MAX - 1)	/* nor this */
/*
 * Not more than the near cache holds of them: what the kernel has just touched of a connection, and
 * we have asked for, is used when its goroutine runs. (README.md, "Costs". Go: 128.)
 */
#define BATCH 32
#define AHEAD 4				/* events: some 200 ns, as long as a miss takes */

static int epoll_fd;		/* constant once it is open */
static int wake_fd;		/* constant once it is open */

static int
open_epoll(void)
{
	int ep = wf_os_epoll_create(), wake, r;

	if (ep < 0)
		return ep;
	r = wake = wf_os_eventfd();
	if (wake >= 0)
		r = wf_os_epoll_ctl(ep, EPOLL_CTL_ADD, wake, EPOLLIN, WAKE_DATA);
	if (r < 0) {
		if (wake >= 0)
			(void)wf_os_close(wake);
		(void)wf_os_close(ep);
		return r;
	}
	epoll_fd = ep;
	wake_fd = wake;
	return 0;
}

static uint64_t
data_of(const struct pd *pd)
{
	return (uint64_t)pd->gen << 32 | (uint32_t)pd_number(pd);
}

static int
add_locked(struct pd *pd)
    WF_HOLDS(pd->lock)
{
	int r = wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pd_number(pd), EVENTS, data_of(pd));

	if (r == -EEXIST)	/* the same file again under the same number, by dup2(2) */
		r = wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, pd_number(pd), EVENTS, data_of(pd));
	pd->is_registered = r == 0;
	return r;
}

/* All events of the descriptor, for all who wait, until it is closed: arm has nothing to keep. */
static int
arm_locked(struct pd *pd, struct pd_arm *arm, struct waiter *w, enum pd_use dir, uint32_t events)
    WF_HOLDS(pd->lock)
{
	(void)arm;
	(void)w;
	(void)dir;
	(void)events;
	return pd->is_registered ? 0 : add_locked(pd);
}

static int
renew_locked(struct pd *pd)
    WF_HOLDS(pd->lock)
{
	int r = wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_MOD, pd_number(pd), EVENTS, data_of(pd));

	if (r == 0)
		return 0;
	pd->gen++;
	return add_locked(pd);
}

static void
forget_locked(struct pd *pd)
    WF_HOLDS(pd->lock)
{
	if (!pd->is_registered)
		return;
	/* Fails if the number was closed or means another file by now: nothing to do then. */
	(void)wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_DEL, pd_number(pd), 0, 0);
	pd->is_registered = false;
}

static void
kick(void)
{
	static const uint64_t one = 1;

	wf_race_hide();
	(void)wf_os_write(wake_fd, &one, sizeof(one));
	wf_race_show();
}

static struct pd *
record_of(uint64_t data)
{
	return data < RING_DATA ? wf_pd_find((int)(uint32_t)data) : NULL;
}

/*
 * With a thousand connections their records, those that wait and the places where they do are in no
 * near cache. They are asked for ahead: the records of all events, before the first is handled ...
 */
static void
prefetch_records(const struct epoll_event ev[], int n)
{
	for (int i = 0; i < n; i++) {
		const char *pd = (const char *)record_of(ev[i].data.u64);

		if (pd == NULL)
			continue;
		wf_prefetch(pd);
		wf_prefetch(pd + sizeof(struct pd) / 2);
	}
}

/* ... and, while event i is handled, what the next ones will come to by way of their records. */
static void
prefetch_waiters(const struct epoll_event ev[], int n, int i)
{
	for (int steps = 2; steps > 0; steps--) {
		int k = i + steps * AHEAD;
		struct pd *pd = k < n ? record_of(ev[k].data.u64) : NULL;

		if (pd != NULL)
			wf_pd_expect(pd, /* soon */ steps == 1);
	}
}

static bool
wait_epoll(int64_t timeout_ns, struct gqueue *q)
{
	struct epoll_event ev[BATCH];
	bool is_kicked = false;
	uint64_t count;
	int n = wf_os_epoll_wait(epoll_fd, ev, BATCH, timeout_ns);

	prefetch_records(ev, n);
	for (int i = 0; i < n; i++) {
		uint64_t data = ev[i].data.u64;
		struct pd *pd = record_of(data);

		prefetch_waiters(ev, n, i);
		if (pd != NULL)
			wf_pd_event(pd, (uint32_t)(data >> 32), ev[i].events, q);
		is_kicked |= data == WAKE_DATA;
	}
	wf_ring_reap(q);	/* told or not: it costs two loads */
	if (!is_kicked || timeout_ns == 0)
		return false;
	(void)wf_os_read(wake_fd, &count, sizeof(count));
	return true;
}

/* Edge-triggered: whoever is told first takes all there is. */
static int
watch_ring(int fd)
{
	return wf_os_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN | (uint32_t)EPOLLET, RING_DATA);
}

const struct poll_backend wf_poll_epoll = {
    .name = "epoll",
    .open = open_epoll,
    .arm_locked = arm_locked,
    .renew_locked = renew_locked,
    .forget_locked = forget_locked,
    .wait = wait_epoll,
    .kick = kick,
    .watch_ring = watch_ring,
};
