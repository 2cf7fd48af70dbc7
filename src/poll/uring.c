/*
 * The backend over io_uring(7): a request of its own for each wait, which is handed over with
 * others; a reader's receives at once. README.md, "Readiness by the ring" (U5-U7, U10). Nothing
 * stays with the kernel when nobody waits.
 */
#include "poll/backend.h"

#include "base/assert.h"
#include "os/os.h"
#include "poll/ring.h"
#include "sched/panic.h"
#include "sched/poll.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

#define RECEIVE_MAX INT32_MAX	/* what a result can tell */

static void
kicked(struct ring_op *op, int32_t res, struct gqueue *ready);

static struct ring_op kick_op = {.done = kicked};
static _Atomic bool has_kick;	/* U7: a kick was taken out of the ring */

static void
kicked(struct ring_op *op, int32_t res, struct gqueue *ready)
{
	(void)op;
	(void)res;
	(void)ready;
	wf_store_seqcst(&has_kick, true);				/* U7 */
}

/* It was there when it was chosen. Without it nothing of ours can wait, and nothing must spin. */
static int
check(int r)
{
	if (wf_unlikely(wf_ring_is_refused(r)))
		wf_fatal("io_uring worked when the program started and is refused now (%s); "
		    "start it without WEFT_POLLER=uring", strerror(-r));
	return r;
}

static int
open_uring(void)
{
	return wf_ring_on() ? 0 : -EMFILE;
}

/* The request of a wait has ended: there are events, or it is to be asked again. */
static void
wake_leaver_locked(struct pd_arm *arm, struct gqueue *ready)
    WF_HOLDS_UNNAMED("of arm->pd, which callers know by another name")
{
	struct waiter *leaver = arm->leaver;

	if (leaver == NULL || arm->is_removing)
		return;
	arm->leaver = NULL;
	if (wf_claim(leaver, 0))
		gqueue_put(ready, leaver->g);
}

static void
arm_done(struct ring_op *op, int32_t res, struct gqueue *ready)
{
	struct pd_arm *arm = wf_container_of(op, struct pd_arm, op);
	struct pd *pd = arm->pd;

	wf_lock(&pd->lock);
	arm->res = res;
	if (waitq_remove(&pd->wait[arm->dir], arm->w)) {
		if (wf_claim(arm->w, 0))
			gqueue_put(ready, arm->w->g);
	} else {
		wake_leaver_locked(arm, ready);
	}
	wf_store_release(&arm->is_done, true);				/* U10 */
	wf_unlock(&pd->lock);	/* from here on arm may be gone; pd never is */
}

static void
removal_done(struct ring_op *op, int32_t res, struct gqueue *ready)
{
	struct pd_arm *arm = wf_container_of(op, struct pd_arm, removal);
	struct pd *pd = arm->pd;

	wf_lock(&pd->lock);
	arm->is_removing = false;
	arm->is_removed = res >= 0;
	if (wf_load_relaxed(&arm->is_done) || !arm->is_removed)	/* the lock orders it */
		wake_leaver_locked(arm, ready);
	wf_unlock(&pd->lock);
}

/* To be told of events. */
static struct io_uring_sqe
poll_of(const struct pd *pd, uint32_t events)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_POLL_ADD, .fd = pd_number(pd)};

	sqe.poll32_events = events;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	sqe.poll32_events = events << 16 | events >> 16;	/* as io_uring_enter(2) wants it */
#endif
	return sqe;
}

/* To have done what the reader would do when it is told. */
static struct io_uring_sqe
receive_of(const struct pd *pd, const struct pd_receive *rc)
{
	wf_race_release(&wf_race_bytes);
	return (struct io_uring_sqe){.opcode = IORING_OP_RECV, .fd = pd_number(pd),
	    .addr = (uintptr_t)rc->buf, .len = (uint32_t)wf_min(rc->n, (size_t)RECEIVE_MAX)};
}

static int
arm_locked(struct pd *pd, struct pd_arm *arm, struct waiter *w, enum pd_use dir, uint32_t events)
    WF_HOLDS(pd->lock)
{
	struct pd_receive *rc = arm->receive;
	struct io_uring_sqe sqe;

	/*
	 * Urgent data is not for a plain read, and a poll that finds it would end at once again
	 * and again. Errors and hang-ups can't be left out: see disarm().
	 */
	events &= dir == PD_READ && (events & EPOLLIN) ? ~(uint32_t)EPOLLPRI : UINT32_MAX;
	*arm = (struct pd_arm){.receive = rc, .op.done = arm_done, .removal.done = removal_done,
	    .pd = pd, .w = w, .dir = dir,
	    .events = events & ~(uint32_t)(EPOLLERR | EPOLLHUP | EPOLLRDHUP)};
	sqe = rc != NULL ? receive_of(pd, rc) : poll_of(pd, events);
	return check(wf_ring_put(&sqe, &arm->op)) < 0 ? -EAGAIN : 0;	/* H1 */
}

static void
ask_to_remove(struct pd_arm *arm)
{
	const struct io_uring_sqe sqe = {
	    .opcode = arm->receive != NULL ? IORING_OP_ASYNC_CANCEL : IORING_OP_POLL_REMOVE,
	    .fd = -1, .addr = (uintptr_t)&arm->op};

	/* It would never end by itself. */
	(void)check(wf_ring_submit_surely(&sqe, &arm->removal));
}

/* Until no removal is under way, and the request has ended or is to be removed again. */
static void
await_removal_locked(struct pd *pd, struct pd_arm *arm)
    WF_HOLDS(pd->lock)
{
	struct waiter w;

	while (arm->is_removing || (!wf_load_relaxed(&arm->is_done) && arm->is_removed)) {
		wf_poll_count();
		wf_waiter_init(&w, WEFT_FOREVER, false);
		arm->leaver = &w;
		(void)wf_park_unlock(&pd->lock, WAIT_IO, WEFT_FOREVER, false);
		wf_lock(&pd->lock);
	}
}

/* What a receive has come to, unless it was ended before it had taken anything (U6). */
static void
answer(struct pd_receive *rc, int fd, int32_t res)
{
	rc->has_res = res != -ECANCELED && res != -EINTR;
	rc->res = res;
	if (!wf_race_is_watched() || res < 0)
		return;
	/* The sanitizer knows of calls only. This takes nothing: who reads comes after who sent. */
	(void)wf_os_read(fd, rc->buf, 0);
	wf_race_acquire(&wf_race_bytes);
	wf_race_writes(rc->buf, (size_t)res);
}

static void
await_end(struct pd_arm *arm)
{
	struct pd *pd = arm->pd;

	wf_lock(&pd->lock);
	while (!wf_load_relaxed(&arm->is_done)) {	/* the lock orders it */
		arm->is_removing = true;
		wf_unlock(&pd->lock);
		WF_POINT("uring.disarm");
		ask_to_remove(arm);
		wf_lock(&pd->lock);
		await_removal_locked(pd, arm);
	}
	wf_unlock(&pd->lock);
}

/*
 * U5: the request must not outlive the wait; it holds on to the open file, too. -EALREADY and
 * -ENOENT do not mean that it is about to end: the kernel may be looking whether a wake was for it
 * (a change of the socket's state wakes everybody), and then waits on. So it is asked again.
 *
 * The kernel also
 * reports errors and hang-ups that nobody asked for; they last, so a writer to a peer that has
 * half closed would be told so without end while it waits for room.
 */
static bool
disarm(struct pd_arm *arm)
{
	if (!wf_load_acquire(&arm->is_done))				/* U10 */
		await_end(arm);
	if (arm->receive != NULL) {
		answer(arm->receive, pd_number(arm->pd), arm->res);
		return true;
	}
	return arm->res < 0 || ((uint32_t)arm->res & arm->events);
}

/* What a request polls is the open file of its beginning: the waiters shall begin new ones. */
static int
renew_locked(struct pd *pd)
    WF_HOLDS(pd->lock)
{
	(void)pd;
	return 1;
}

/* Who waited for the last owner of the number must not receive what is the next one's (H6). */
static void
forget_locked(struct pd *pd)
    WF_HOLDS(pd->lock)
{
	wf_ring_revoke(pd_number(pd));
}

static void
kick(void)
{
	static const struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .fd = -1};

	int r;

	/* Out of memory: without it somebody may sleep for ever. */
	while ((r = check(wf_ring_submit(&sqe, &kick_op))) < 0 && r != -EBUSY)
		wf_os_thread_yield();
	/* The ring of completions is full, so nobody sleeps; who takes them takes this. */
	if (r < 0)
		wf_store_seqcst(&has_kick, true);			/* U7 */
}

static bool
wait_uring(int64_t timeout_ns, struct gqueue *q)
{
	bool is_kicked;

	/* Interrupted, timed out or out of memory: the caller looks again in any case. */
	(void)check(wf_ring_wait(timeout_ns));
	wf_ring_reap(q);
	if (!wf_load_relaxed(&has_kick))	/* missed now: whoever took it sees it */
		return false;
	is_kicked = wf_xchg_seqcst(&has_kick, false);			/* U7 */
	if (is_kicked && timeout_ns == 0) {
		/* Meant for the one that waits, who may have come in between: put it back. */
		kick();
		is_kicked = false;
	}
	return is_kicked;
}

const struct poll_backend wf_poll_uring = {
    .name = "io_uring",
    .open = open_uring,
    .arm_locked = arm_locked,
    .disarm = disarm,
    .renew_locked = renew_locked,
    .forget_locked = forget_locked,
    .wait = wait_uring,
    .kick = kick,
};
