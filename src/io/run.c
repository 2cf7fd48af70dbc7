/*
 * The loop of every operation that can wait: try, wait until ready, try again.
 */
#include "io/io.h"

#include <errno.h>

/* Epoll does not take the descriptor. So the call may block the thread, unless it just did not. */
static ssize_t
give_up_polling(struct pd *pd, enum pd_use dir)
{
	switch (wf_load_relaxed(&pd->how[dir])) {	/* a cache */
	case PD_HOW_NOWAIT:
	case PD_HOW_POLL:
		wf_store_relaxed(&pd->how[dir], PD_HOW_BLOCK);
		return 0;
	default:
		return -EPERM;
	}
}

/*
 * R7. The read before has taken all there was, and every byte since has made an edge: waits at
 * once. 0: ask now. Who may not wait (any longer) asks first, as if there had been no such read.
 */
WF_PARKS static ssize_t
wait_unasked(struct pd *pd, struct io_op *op, int64_t deadline)
{
	ssize_t r = wf_pd_wait(pd, PD_READ, deadline), got;

	if (r >= 0 || r == -EBADF)
		return r;
	got = op->try_fn(op, pd);
	return got == -EAGAIN ? r : got;
}

WF_PARKS static ssize_t
loop(struct pd *pd, enum pd_use dir, struct io_op *op, int64_t deadline)
{
	ssize_t r;

	if (dir == PD_READ && wf_load_relaxed(&pd->is_drained)) {
		if (op->knows_drained && (r = wait_unasked(pd, op, deadline)) != 0)
			return r;
		wf_store_relaxed(&pd->is_drained, false);
	}
	wf_pd_prepare(pd, dir);						/* R1 */
	for (;;) {
		r = op->try_fn(op, pd);					/* R2 */
		if (wf_likely(r != -EAGAIN) || op->dontwait)
			return r;
		r = wf_pd_wait(pd, dir, deadline);			/* R3, R4 */
		if (r == -EPERM)
			r = give_up_polling(pd, dir);
		if (r < 0)
			return r;
	}
}

WF_PARKS ssize_t
wf_io_run(int fd, enum pd_use dir, struct io_op *op, int64_t deadline)
{
	struct pd *pd;
	ssize_t r = wf_pd_get(fd, &pd);

	if (r < 0)
		return r;
	op->deadline = deadline;
	r = wf_pd_enter(pd, dir, op->dontwait ? WEFT_NOW : deadline);
	if (r < 0)
		return r == -ETIMEDOUT && op->dontwait ? -EAGAIN : r;
	r = loop(pd, dir, op, deadline);
	wf_pd_leave(pd, dir);
	return r;
}
