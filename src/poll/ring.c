/*
 * The ring itself: submitting, reaping, and a request that a goroutine waits for. Protocol and
 * argument: README.md, "The ring".
 *
 *   U1  n_submitted: release in wf_ring_submit -> acquire in wf_ring_reap (U4)
 *       Who takes a completion sees what was written to its ring_op before it was submitted. (The
 *       kernel orders it, but C does not know that.)
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

#define BATCH 64		/* completions taken under the lock at a time: 1 KB of stack */

enum ring_state {
	RING_UNKNOWN,
	RING_ON,
	RING_REFUSED,
};

uint32_t wf_ring_sq_entries = 64;
uint32_t wf_ring_cq_entries = 4096;

static struct wf_os_uring ring;			/* constant once state is RING_ON */
static _Atomic uint32_t state;			/* U8  enum ring_state; written under on_lock */
static struct wf_lock on_lock;

static struct wf_lock sq_lock;			/* of handing over: held through the call */
static struct wf_lock cq_lock;			/* of taking: cq_head */
static _Atomic uint32_t n_submitted;		/* U1 */

/* Of struct run: one word for all, because the loser of a race may be gone from the stack. */
static struct wf_lock run_lock;

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
	    IORING_OP_FSYNC, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE, IORING_OP_ASYNC_CANCEL};
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

int
wf_ring_submit(const struct io_uring_sqe *sqe, struct ring_op *op)
{
	struct io_uring_sqe *slot;
	uint32_t tail;
	int r;

	wf_lock(&sq_lock);
	tail = wf_load_relaxed(ring.sq_tail);	/* our own store, under the lock */
	/* Each is taken before the lock is released: there is room, however small the ring. */
	WF_CHECK(tail == wf_load_acquire(ring.sq_head));		/* U9 */
	slot = &ring.sqes[tail & (ring.sq_entries - 1)];
	*slot = *sqe;
	slot->user_data = (uintptr_t)op;
	wf_store_release(ring.sq_tail, tail + 1);			/* U9 */
	(void)wf_add_release(&n_submitted, 1u);				/* U1 */
	do
		r = wf_os_uring_submit(&ring, 1);
	while (r == -EINTR);
	if (r != 1) {
		/* Not taken, so it can be taken back. */
		wf_store_release(ring.sq_tail, tail);			/* U9 */
		r = r < 0 ? r : -EAGAIN;
	}
	wf_unlock(&sq_lock);
	return r == 1 ? 0 : r;
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
wf_ring_submit_surely(const struct io_uring_sqe *sqe, struct ring_op *op)
{
	int r;

	while ((r = wf_ring_submit(sqe, op)) < 0 && !wf_ring_is_refused(r)) {
		struct gqueue ready = {0};
		uint32_t n;

		wf_ring_reap(&ready);
		n = ready.n;
		wf_ready_all(&ready);
		if (n != 0)
			wf_poll_done(n);
		wf_os_thread_yield();	/* out of memory: others may give some back */
	}
	return r;
}

int
wf_ring_wait(int64_t timeout_ns)
{
	return timeout_ns != 0 ? wf_os_uring_wait(&ring, timeout_ns) : 0;
}

/* A request and the goroutine that waits for it, on whose stack it is. Under run_lock. */
struct run {
	struct ring_op op;
	struct waiter *w;	/* waits for the end, or NULL */
	int32_t res;
	bool is_done;
	bool is_readied;	/* by done(), so the poller's caller counts it down */
};

static void
run_done(struct ring_op *op, int32_t res, struct gqueue *ready)
{
	struct run *run = wf_container_of(op, struct run, op);

	wf_lock(&run_lock);
	run->res = res;
	run->is_done = true;
	if (run->w != NULL && wf_claim(run->w, 0)) {
		run->is_readied = true;
		gqueue_put(ready, run->w->g);
	}
	wf_unlock(&run_lock);	/* from here on run may be gone */
}

/* Waits until run is done, or the deadline, or cancelled. 0, -ETIMEDOUT, -ECANCELED. */
WF_PARKS static int
await(struct run *run, int64_t deadline, bool cancellable)
{
	struct waiter w;
	int r;

	wf_lock(&run_lock);
	if (run->is_done) {
		wf_unlock(&run_lock);
		return 0;
	}
	wf_waiter_init(&w, deadline, cancellable);
	run->w = &w;
	r = wf_park_unlock(&run_lock, WAIT_IO, deadline, cancellable);
	if (r == 0)
		return 0;
	wf_lock(&run_lock);
	run->w = NULL;
	if (run->is_done)
		r = 0;
	wf_unlock(&run_lock);
	return r;
}

/* U5: the kernel shall stop; whether it did, the request's own end will tell. */
WF_PARKS static void
cancel(struct run *run)
{
	const struct io_uring_sqe sqe = {
	    .opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = (uintptr_t)&run->op};

	WF_POINT("ring.cancel");
	(void)wf_ring_submit_surely(&sqe, NULL);	/* refused: then it ends when it ends */
	WF_CHECK(await(run, WEFT_FOREVER, false) == 0);
}

/* Was the request ended by the kernel's own doing (U6)? */
static bool
was_dropped(int32_t res)
{
	return res == -ECANCELED || res == -EINTR;
}

int
wf_ring_run(struct io_uring_sqe *sqe, int64_t deadline, int32_t *ret_res)
{
	int r = wf_park_check(deadline, true);

	while (r == 0) {
		struct run run = {.op.done = run_done};

		wf_poll_count();
		wf_race_release(&wf_race_bytes);
		r = wf_ring_submit(sqe, &run.op);
		if (r < 0) {
			wf_poll_done(1);
			return r;
		}
		WF_POINT("ring.submitted");
		r = await(&run, deadline, true);
		if (r < 0)
			cancel(&run);
		if (!run.is_readied)
			wf_poll_done(1);
		if (!was_dropped(run.res)) {
			wf_race_acquire(&wf_race_bytes);
			*ret_res = run.res;
			return 0;
		}
		WF_POINT("ring.dropped");
		if (r == 0)
			r = wf_park_check(deadline, true);
	}
	return r;
}
