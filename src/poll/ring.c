/*
 * The ring itself: submitting and reaping. Protocol and argument: README.md, "The ring" (U1-U10)
 * and "Handing over" (H1-H6).
 *
 *   U1  n_submitted: release in put_locked -> acquire in wf_ring_reap (U4)
 *       Who takes a completion sees what was written to its ring_op before it was submitted. (The
 *       kernel orders it, but C does not know that.)
 *   H2  n_pending: seq_cst exchange in wf_ring_put, then seq_cst load of n_waiting
 *   H3  n_waiting: seq_cst addition in wf_ring_wait, then seq_cst load of n_pending
 *       Store buffering: who puts a request in sees who waits, or that one sees the request.
 *   U8  state: release in turn_on -> acquire in its readers
 *       Who sees that there is a ring sees where.
 *   U9  the ring's words, which the kernel shares: release of sq_tail and cq_head, acquire of
 *       cq_tail (io_uring(7)).
 */
#include "poll/ring.h"

#include "base/assert.h"
#include "os/os.h"
#include "poll/backend.h"
#include "sched/settings.h"
#include "sched/poll.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>

#define RETRY_NS 1000000	/* what could not be handed over is tried again after so long */
#define AHEAD 6			/* completions whose requests are asked for before their turn */
#define BATCH 16		/* completions taken under the lock at a time; for 2 KB of stack */

enum ring_state {
	RING_UNKNOWN,
	RING_ON,
	RING_REFUSED,
};

uint32_t wf_ring_sq_entries = 128;
uint32_t wf_ring_cq_entries = 4096;

static struct wf_os_uring ring;			/* constant once state is RING_ON */
static _Atomic uint32_t state;			/* U8  enum ring_state; written under on_lock */
static struct wf_lock on_lock;

static struct wf_lock sq_lock;			/* of handing over: held through the call */
static struct wf_lock cq_lock;			/* of taking: cq_head */
static _Atomic uint32_t n_submitted;		/* U1; written under sq_lock */
static _Atomic uint32_t n_pending;		/* H2; put in, not handed over; likewise */
static _Atomic uint32_t n_waiting;		/* H3; threads that wait for completions */

int
wf_ring_fd(void)
{
	return ring.fd;
}

/* Some filters let a ring be made and not used: only a request that comes back is proof. */
static int
round_trip(const struct wf_os_uring *u)
{
	int r;

	memset(&u->sqes[0], 0, sizeof(u->sqes[0]));
	u->sqes[0].opcode = IORING_OP_NOP;
	u->sqes[0].user_data = 1;
	wf_store_release(u->sq_tail, 1u);				/* U9 */
	r = wf_os_uring_submit(u, 1);
	if (r == 1)
		r = wf_os_uring_wait(u, INT64_C(1000000000));
	if (r < 0)
		return r;
	if (wf_load_acquire(u->cq_tail) != 1 || u->cqes[0].user_data != 1)	/* U9 */
		return -EIO;
	wf_store_release(u->cq_head, 1u);				/* U9 */
	return 0;
}

static int
make(struct wf_os_uring *u)
{
	static const uint8_t ops[] = {IORING_OP_NOP, IORING_OP_READV, IORING_OP_WRITEV,
	    IORING_OP_FSYNC, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE, IORING_OP_ASYNC_CANCEL,
	    IORING_OP_RECV};
	int r = wf_os_uring_open(u, wf_ring_sq_entries, wf_ring_cq_entries);

	if (r < 0)
		return r;
	r = wf_os_uring_knows(u, ops, wf_countof(ops)) ? round_trip(u) : -EOPNOTSUPP;
	if (r < 0)
		wf_os_uring_close(u);
	return r;
}

/* Is it the system's last word? What is only missing now may be there later. */
static bool
is_final(int r)
{
	return r != -EMFILE && r != -ENFILE && r != -ENOMEM && r != -EAGAIN;
}

/* WEFT_DEBUG=poller=1: what was chosen, or why not. */
static void
tell(int r)
{
	char line[160];
	int n;

	if (!wf_settings()->tells_poller)
		return;
	if (r == 0)
		n = snprintf(line, sizeof(line), "weft: poller: io_uring for %s\n",
		    wf_settings()->poller == WF_POLLER_URING ? "sockets and files" : "files");
	else if (wf_settings()->poller == WF_POLLER_EPOLL)
		n = snprintf(line, sizeof(line), "weft: poller: no io_uring: WEFT_POLLER=epoll\n");
	else
		n = snprintf(line, sizeof(line), "weft: poller: no io_uring: %s\n", strerror(-r));
	(void)wf_os_write(2, line, wf_min((size_t)n, sizeof(line) - 1));
}

static bool
turn_on(void)
{
	struct wf_os_uring u;
	uint32_t s;
	int r;

	wf_lock(&on_lock);
	s = wf_load_relaxed(&state);	/* the lock orders it */
	if (s == RING_UNKNOWN) {
		r = wf_settings()->poller == WF_POLLER_EPOLL ? -EPERM : make(&u);
		if (r == 0) {
			ring = u;
			s = RING_ON;
		} else if (is_final(r)) {
			s = RING_REFUSED;
		}
		if (s != RING_UNKNOWN)
			tell(r);
		wf_store_release(&state, s);				/* U8 */
	}
	wf_unlock(&on_lock);
	return s == RING_ON;
}

bool
wf_ring_on(void)
{
	uint32_t s = wf_load_acquire(&state);				/* U8 */

	return s == RING_UNKNOWN ? turn_on() : s == RING_ON;
}

/* Requests that the kernel has not taken yet. */
static uint32_t
left_locked(void)
    WF_HOLDS(sq_lock)
{
	uint32_t tail = wf_load_relaxed(ring.sq_tail);	/* our own store, under the lock */

	return tail - wf_load_acquire(ring.sq_head);			/* U9 */
}

/* 0: nothing is left; or -errno, and something is. */
static int
hand_over_locked(void)
    WF_HOLDS(sq_lock)
{
	uint32_t n;
	int r = 0;

	while (r >= 0 && (n = left_locked()) != 0) {
		r = wf_os_uring_submit(&ring, n);
		if (r == 0)
			r = -EAGAIN;
		else if (r == -EINTR)
			r = 0;
	}
	wf_store_relaxed(&n_pending, left_locked());	/* who reads it in vain takes the lock */
	return r < 0 ? r : 0;
}

static int
hand_over(void)
{
	int r;

	if (wf_load_seqcst(&n_pending) == 0)				/* H3 */
		return 0;
	wf_lock(&sq_lock);
	r = hand_over_locked();
	wf_unlock(&sq_lock);
	return r;
}

/* Puts a request behind the others. 0 or -errno: there is no room. */
static int
put_locked(const struct io_uring_sqe *sqe, struct ring_op *op)
    WF_HOLDS(sq_lock)
{
	uint32_t tail = wf_load_relaxed(ring.sq_tail);	/* our own store, under the lock */
	struct io_uring_sqe *slot = &ring.sqes[tail & (ring.sq_entries - 1)];
	int r;

	if (left_locked() == ring.sq_entries) {
		r = hand_over_locked();
		if (left_locked() == ring.sq_entries)
			return r;
	}
	*slot = *sqe;
	slot->user_data = (uintptr_t)op;
	wf_store_release(ring.sq_tail, tail + 1);			/* U9 */
	wf_store_release(&n_submitted, wf_load_relaxed(&n_submitted) + 1);	/* U1 */
	return 0;
}

/* Hands over all, the last of which is the caller's; or takes that back (H4). 0 or -errno. */
static int
hand_over_own_locked(void)
    WF_HOLDS(sq_lock)
{
	int r = hand_over_locked();

	if (r < 0) {
		wf_store_release(ring.sq_tail, wf_load_relaxed(ring.sq_tail) - 1);	/* U9 */
		wf_store_relaxed(&n_pending, left_locked());
	}
	return r;
}

int
wf_ring_submit(const struct io_uring_sqe *sqe, struct ring_op *op)
{
	int r;

	wf_lock(&sq_lock);
	r = put_locked(sqe, op);
	if (r == 0)
		r = hand_over_own_locked();
	wf_unlock(&sq_lock);
	return r;
}

int
wf_ring_put(const struct io_uring_sqe *sqe, struct ring_op *op)
{
	int r;

	wf_lock(&sq_lock);
	r = put_locked(sqe, op);					/* H1 */
	if (r == 0) {
		(void)wf_xchg_seqcst(&n_pending, left_locked());	/* H2 */
		if (wf_load_seqcst(&n_waiting) != 0)			/* H2 */
			r = hand_over_own_locked();
	}
	wf_unlock(&sq_lock);
	return r;
}

void
wf_ring_revoke(int fd)
{
	uint32_t tail;

	if (wf_load_seqcst(&n_pending) == 0)
		return;
	wf_lock(&sq_lock);
	tail = wf_load_relaxed(ring.sq_tail);	/* our own store, under the lock */
	for (uint32_t n = left_locked(); n > 0; n--) {
		struct io_uring_sqe *sqe = &ring.sqes[(tail - n) & (ring.sq_entries - 1)];

		if (sqe->fd == fd)
			sqe->fd = -1;						/* H6 */
	}
	wf_unlock(&sq_lock);
}

/* Takes up to BATCH completions out of the ring. */
static uint32_t
take(struct io_uring_cqe cqe[BATCH])
{
	uint32_t head, n;

	wf_lock(&cq_lock);
	head = wf_load_relaxed(ring.cq_head);	/* our own store, under the lock */
	n = wf_min(wf_load_acquire(ring.cq_tail) - head, (uint32_t)BATCH);	/* U9 */
	for (uint32_t i = 0; i < n; i++)
		cqe[i] = ring.cqes[(head + i) & (ring.cq_entries - 1)];
	if (n != 0)
		wf_store_release(ring.cq_head, head + n);		/* U9 */
	wf_unlock(&cq_lock);
	return n;
}

static bool
has_overflow(void)
{
	return wf_load_relaxed(ring.sq_flags) & IORING_SQ_CQ_OVERFLOW;	/* a hint */
}

/* Are there none? A look without the lock. */
static bool
is_empty(void)
{
	return wf_load_relaxed(ring.cq_head) == wf_load_relaxed(ring.cq_tail) && !has_overflow();
}

/* Of thousands that wait none is in a near cache. */
static void
prefetch(uint64_t op)
{
	const char *at = (const char *)(uintptr_t)op;

	wf_prefetch(at);
	wf_prefetch(at + WF_CACHELINE);
}

void
wf_ring_reap(struct gqueue *ready)
{
	struct io_uring_cqe cqe[BATCH];
	uint32_t n;

	if (wf_load_acquire(&state) != RING_ON || is_empty())		/* U8 */
		return;
	do {
		n = take(cqe);
		(void)wf_load_acquire(&n_submitted);			/* U1 */
		for (uint32_t i = 0; i < n; i++) {
			struct ring_op *op = (struct ring_op *)(uintptr_t)cqe[i].user_data;

			if (i + AHEAD < n)
				prefetch(cqe[i + AHEAD].user_data);
			if (op != NULL)
				op->done(op, cqe[i].res, ready);
		}
		/* More than the ring holds: the kernel keeps them until it is told to go on. */
		if (n < BATCH && has_overflow() &&
		    !wf_ring_is_refused(wf_os_uring_wait(&ring, 0)))
			n = BATCH;
	} while (n == BATCH);
}

bool
wf_ring_is_refused(int r)
{
	return r < 0 && r != -EAGAIN && r != -EBUSY && r != -EINTR && r != -ETIME && r != -ENOMEM;
}

int
wf_ring_wait(int64_t timeout_ns)
{
	int r;

	if (timeout_ns == 0)
		return hand_over();					/* H5 */
	(void)wf_add_seqcst(&n_waiting, 1u);				/* H3 */
	r = hand_over();						/* H3 */
	/* H4: nobody else would tell of what is left here. The caller asks again. */
	if (r < 0 && (timeout_ns < 0 || timeout_ns > RETRY_NS))
		timeout_ns = RETRY_NS;
	if (!wf_ring_is_refused(r))
		r = wf_os_uring_wait(&ring, timeout_ns);
	(void)wf_sub_relaxed(&n_waiting, 1u);	/* seen late: handed over at once, needlessly */
	return r;
}
