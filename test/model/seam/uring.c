/*
 * io_uring(7) of the model: one ring, whose requests do nothing, and are complete when they have
 * been handed over. What it may refuse, the scenario says. The system call that finds nothing
 * orders nothing.
 */
#include "seam/uring.h"

#include "explore.h"

#include "base/atomic.h"
#include "os/os.h"
#include "sched/settings.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

#define ENTRIES 8u

static struct {
	_Atomic uint32_t sq_head, sq_tail, sq_flags, cq_head, cq_tail;
	struct io_uring_sqe sqes[ENTRIES];
	struct io_uring_cqe cqes[ENTRIES];
	uint32_t sq_entries;
	uint32_t refusals;
} ring;

void
uring_reset(uint32_t sq_entries)
{
	memset(&ring, 0, sizeof(ring));
	ring.sq_entries = sq_entries;
}

void
uring_refuse(uint32_t n)
{
	ring.refusals = n;
}

int
wf_os_uring_open(struct wf_os_uring *u, uint32_t sq_entries, uint32_t cq_entries)
{
	(void)sq_entries;
	(void)cq_entries;
	*u = (struct wf_os_uring){.fd = 0, .sq_entries = ring.sq_entries, .cq_entries = ENTRIES,
	    .sq_head = &ring.sq_head, .sq_tail = &ring.sq_tail, .sq_flags = &ring.sq_flags,
	    .cq_head = &ring.cq_head, .cq_tail = &ring.cq_tail, .sqes = ring.sqes,
	    .cqes = ring.cqes};
	return 0;
}

void
wf_os_uring_close(struct wf_os_uring *u)
{
	(void)u;
	MC_ASSERT(false);
}

bool
wf_os_uring_knows(const struct wf_os_uring *u, const uint8_t *ops, size_t n)
{
	(void)u;
	(void)ops;
	(void)n;
	return true;
}

/* The kernel takes what is there, under a lock of its own: none of ours is relied on. */
int
wf_os_uring_submit(const struct wf_os_uring *u, uint32_t n)
{
	uint32_t head = wf_load_relaxed(&ring.sq_head), tail = wf_load_relaxed(&ring.cq_tail);
	uint32_t there = wf_load_acquire(&ring.sq_tail) - head;

	if (ring.refusals > 0) {
		ring.refusals--;
		return -EAGAIN;
	}
	n = n < there ? n : there;
	for (uint32_t i = 0; i < n; i++)
		ring.cqes[(tail + i) % ENTRIES] = (struct io_uring_cqe){
		    .user_data = u->sqes[(head + i) % u->sq_entries].user_data};
	wf_store_release(&ring.sq_head, head + n);
	wf_store_release(&ring.cq_tail, tail + n);
	(void)wf_os_futex_wake(&ring.cq_tail, INT32_MAX);
	return (int)n;
}

int
wf_os_uring_wait(const struct wf_os_uring *u, int64_t timeout_ns)
{
	int64_t until = timeout_ns < 0 ? INT64_MAX : wf_os_now() + timeout_ns;
	uint32_t tail;

	(void)u;
	for (;;) {
		tail = wf_load_relaxed(&ring.cq_tail);
		if (tail != wf_load_relaxed(&ring.cq_head))
			return 0;
		if (wf_os_futex_wait(&ring.cq_tail, tail, until) == -ETIMEDOUT)
			return -ETIME;
	}
}

/* ---- The rest of the system, and what is set: without a scheduler ---- */

int64_t
wf_os_now(void)
{
	return mc_now();
}

int
wf_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
	return mc_futex_wait(word, expected, deadline);
}

int
wf_os_futex_wake(const _Atomic uint32_t *word, int n)
{
	return mc_futex_wake(word, n);
}

void
wf_os_thread_yield(void)
{
	mc_relax();
}

const struct wf_settings *
wf_settings(void)
{
	static const struct wf_settings settings = {.poller = WF_POLLER_URING};

	return &settings;
}

ssize_t
wf_os_write(int fd, const void *buf, size_t n)
{
	(void)fd;
	(void)buf;
	return (ssize_t)n;
}
