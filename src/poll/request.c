/*
 * A request to the ring that a goroutine waits for. README.md, "The ring" (U5, U6).
 */
#include "poll/ring.h"

#include "base/assert.h"
#include "os/os.h"
#include "poll/backend.h"
#include "sched/poll.h"

#include <errno.h>
#include <linux/io_uring.h>

/* Of struct run: one word for all, because the loser of a race may be gone from the stack. */
static struct wf_lock run_lock;

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
