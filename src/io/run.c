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
 * What has to wait may be received by the poller, of a socket. (How it is asked is not known only
 * where the call itself says that it is one.)
 */
static struct pd_receive *
receive_of(const struct pd *pd, enum pd_use dir, const struct io_op *op)
{
	return dir == PD_READ && wf_load_relaxed(&pd->how[dir]) <= PD_HOW_TCP ? op->receive : NULL;
}

/* Was it? That is the result then, however the wait ended: what was taken is there no more. */
static bool
has_received(struct pd *pd, struct io_op *op, ssize_t *ret)
{
	struct pd_receive *rc = op->receive;

	if (wf_likely(rc == NULL || !rc->has_res))
		return false;
	rc->has_res = false;
	if (rc->res == -EAGAIN || rc->res == -ENOTSOCK) {
		op->receive = NULL;	/* the call itself knows better, or the kernel can't */
		return false;
	}
	if (op->knows_drained && wf_load_relaxed(&pd->how[PD_READ]) == PD_HOW_TCP)
		wf_store_relaxed(&pd->is_drained, rc->res > 0 && (size_t)rc->res < rc->n);  /* R7 */
	*ret = rc->res;
	return true;
}

/*
 * R7. The read before has taken all there was, and every byte since has made an edge: waits at
 * once. False: ask now. Who may not wait (any longer) asks first, as if there had been no such
 * read.
 */
WF_PARKS static bool
wait_unasked(struct pd *pd, struct io_op *op, int64_t deadline, ssize_t *ret)
{
	ssize_t r = wf_pd_wait(pd, PD_READ, deadline, receive_of(pd, PD_READ, op)), got;

	if (has_received(pd, op, ret))
		return true;
	if (r == 0)
		return false;
	*ret = r;
	if (r != -EBADF && (got = op->try_fn(op, pd)) != -EAGAIN)
		*ret = got;
	return true;
}

WF_PARKS static ssize_t
loop(struct pd *pd, enum pd_use dir, struct io_op *op, int64_t deadline)
{
	ssize_t r;

	if (dir == PD_READ && wf_load_relaxed(&pd->is_drained)) {
		if (op->knows_drained && wait_unasked(pd, op, deadline, &r))
			return r;
		wf_store_relaxed(&pd->is_drained, false);
	}
	wf_pd_prepare(pd, dir);						/* R1 */
	for (;;) {
		r = op->try_fn(op, pd);					/* R2 */
		if (wf_likely(r != -EAGAIN) || op->dontwait)
			return r;
		r = wf_pd_wait(pd, dir, deadline, receive_of(pd, dir, op));	/* R3, R4 */
		if (has_received(pd, op, &r))
			return r;
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
