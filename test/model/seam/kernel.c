/*
 * A descriptor and epoll(7). See kernel.h. Edges: a change to what epoll has makes an event, which
 * says when it is taken how things are then.
 */
#include "seam/kernel.h"

#include "explore.h"
#include "os/os.h"
#include "poll/backend.h"
#include "sched/settings.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* The descriptor's word: messages, flags, the data that epoll was given with it. */
#define MESSAGES 0xfu
#define HAS_ENDED 0x10u
#define IS_CLOSED 0x20u
#define IS_ADDED 0x40u
#define HAS_EVENT 0x80u
#define GEN_SHIFT 8

static struct {
	_Atomic uint32_t word;
	_Atomic uint32_t is_kicked;	/* the eventfd */
	_Atomic uint32_t news;		/* grows with each event: who waits sleeps on it */
	bool is_open;			/* the instance; set by open() */
	int last_use[KERNEL_THREADS + 1];	/* by each thread, inside an operation */
} kernel;

static _Alignas(64) struct pd records[PD_LEAF];
static _Alignas(64) char others[PD_LEAF * 16];
static unsigned n_maps;

void
kernel_reset(void)
{
	memset(&kernel, 0, sizeof(kernel));
	memset(&records[KERNEL_FD], 0, sizeof(records[0]));
	memset(&others[KERNEL_FD * 16], 0, 16);
	n_maps = 0;
}

/* Who waits in epoll_wait(2) looks again. */
static void
tell(void)
{
	(void)wf_add_acqrel(&kernel.news, 1u);
	(void)wf_os_futex_wake(&kernel.news, 1);
}

/* The word becomes (word & mask) + add; with an event if epoll has it and makes_event. */
static void
change(uint32_t mask, uint32_t add, bool makes_event)
{
	uint32_t word = wf_load_relaxed(&kernel.word), next;

	do {
		next = (word & mask) + add;
		if (makes_event && (next & IS_ADDED) && (next & (MESSAGES | HAS_ENDED)))
			next |= HAS_EVENT;
	} while (!wf_cas_acqrel(&kernel.word, &word, next));
	if (next & HAS_EVENT)
		tell();
}

void
kernel_send(void)
{
	change(~0u, 1, true);
}

void
kernel_end(void)
{
	change(~0u, HAS_ENDED, true);
}

int
kernel_receive(bool *ret_is_short)
{
	uint32_t word = wf_load_acquire(&kernel.word);

	kernel.last_use[mc_thread()]++;
	*ret_is_short = false;
	while (word & MESSAGES) {
		if (wf_cas_acqrel(&kernel.word, &word, word - 1)) {
			*ret_is_short = (word & MESSAGES) == 1;
			return 1;
		}
	}
	if (word & IS_CLOSED)
		return -EBADF;
	return word & HAS_ENDED ? 0 : -EAGAIN;
}

bool
kernel_is_closed(void)
{
	return wf_load_acquire(&kernel.word) & IS_CLOSED;
}

void
kernel_open(void)
{
	while (!kernel_is_closed())
		mc_relax();
	wf_store_release(&kernel.word, 0u);
}

/* ---- os/os.h ---- */

void *
wf_os_map(size_t bytes)
{
	MC_ASSERT(n_maps++ < 4);
	if (bytes == sizeof(records)) {
		memset(&records[KERNEL_FD], 0, sizeof(records[0]));	/* who sees it sees zeros */
		return records;
	}
	MC_ASSERT(bytes == sizeof(others));
	memset(&others[KERNEL_FD * 16], 0, 16);
	return others;
}

/* K3: nobody is inside, and what they did there is seen. */
int
wf_os_close(int fd)
{
	MC_ASSERT(fd == KERNEL_FD);
	if (kernel_is_closed())
		return -EBADF;
	memset(kernel.last_use, 0, sizeof(kernel.last_use));
	wf_store_release(&kernel.word, IS_CLOSED);
	return 0;
}

int
wf_os_poll_now(int fd, short events)
{
	uint32_t word = wf_load_acquire(&kernel.word);

	(void)fd;
	kernel.last_use[mc_thread()]++;
	return word & (MESSAGES | HAS_ENDED) ? events & EPOLLIN : 0;
}

int
wf_os_socket_id(int fd, uint64_t *ret_id)
{
	(void)fd;
	*ret_id = 1;
	return 0;
}

/* ---- poll/backend.h ---- */

static int
open_kernel(void)
{
	kernel.is_open = true;
	return 0;
}

static int
arm_locked(struct pd *pd, struct pd_arm *arm, struct waiter *w, enum pd_use dir, uint32_t events)
{
	(void)arm;
	(void)w;
	(void)dir;
	(void)events;
	MC_ASSERT(kernel.is_open);
	if (!pd->is_registered)
		change(0xffu & ~HAS_EVENT, IS_ADDED | pd->gen << GEN_SHIFT, true);
	pd->is_registered = true;
	return 0;
}

/* EPOLL_CTL_MOD: what is there is told anew. */
static int
renew_locked(struct pd *pd)
{
	(void)pd;
	change(~HAS_EVENT, 0, true);
	return 0;
}

static void
forget_locked(struct pd *pd)
{
	if (pd->is_registered)
		change(~(HAS_EVENT | IS_ADDED), 0, false);
	pd->is_registered = false;
}

static void
kick(void)
{
	(void)wf_xchg_acqrel(&kernel.is_kicked, 1u);
	tell();
}

/* Takes the event, if there is one; what it means to the record comes later. */
static bool
take_event(struct gqueue *q)
{
	uint32_t word = wf_load_acquire(&kernel.word);

	if (!(word & HAS_EVENT))
		return false;
	word = wf_and_acqrel(&kernel.word, ~HAS_EVENT);
	if (!(word & HAS_EVENT))
		return false;
	wf_pd_event(wf_pd_find(KERNEL_FD), word >> GEN_SHIFT,
	    word & HAS_ENDED ? EPOLLIN | EPOLLRDHUP : EPOLLIN, q);
	return true;
}

static bool
wait_kernel(int64_t timeout_ns, struct gqueue *q)
{
	int64_t until = timeout_ns < 0 ? INT64_MAX : mc_now() + timeout_ns;

	MC_ASSERT(kernel.is_open);
	for (;;) {
		uint32_t news = wf_load_acquire(&kernel.news);
		bool has_event = take_event(q);

		if (timeout_ns != 0 && wf_load_acquire(&kernel.is_kicked) != 0) {
			(void)wf_xchg_acqrel(&kernel.is_kicked, 0u);
			return true;
		}
		if (has_event || timeout_ns == 0 ||
		    wf_os_futex_wait(&kernel.news, news, until) == -ETIMEDOUT)
			return false;
	}
}

const struct poll_backend wf_poll_epoll = {
	.name = "model",
	.open = open_kernel,
	.arm_locked = arm_locked,
	.renew_locked = renew_locked,
	.forget_locked = forget_locked,
	.wait = wait_kernel,
	.kick = kick,
};
const struct poll_backend wf_poll_uring = { .name = "none" };

/* ---- There is no ring, and nothing is set ---- */

const struct wf_settings *
wf_settings(void)
{
	static const struct wf_settings settings = { 0 };

	return &settings;
}

bool
wf_ring_on(void)
{
	return false;
}

int
wf_ring_fd(void)
{
	return -1;
}
