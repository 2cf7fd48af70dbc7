/*
 * What is done to files by the ring. Always by one of the kernel's workers (IOSQE_ASYNC), since the
 * caller has tried without waiting: so nothing is copied under the ring's lock, and nothing is
 * completed by a thread of ours that may be busy with something else.
 */
#include "poll/fileop.h"

#include "poll/backend.h"
#include "poll/ring.h"

#include <errno.h>
#include <linux/io_uring.h>

/* False: the ring can't, or not now. */
WF_PARKS static bool
run(struct io_uring_sqe *sqe, int64_t deadline, ssize_t *ret)
{
	int32_t res;
	int r;

	sqe->flags |= IOSQE_ASYNC;
	r = wf_ring_run(sqe, deadline, &res);
	if (r == 0)
		*ret = res;
	else if (r == -ETIMEDOUT || r == -ECANCELED)
		*ret = r;
	else
		return false;
	return *ret != -EAGAIN;
}

bool
wf_ring_rw(int fd, bool is_write, const struct iovec *v, int n, off_t off, int64_t deadline,
    ssize_t *ret)
{
	struct io_uring_sqe sqe = {
	    .opcode = is_write ? IORING_OP_WRITEV : IORING_OP_READV,
	    .fd = fd,
	    .addr = (uintptr_t)v,
	    .len = (uint32_t)n,
	    .off = (uint64_t)off,
	};

	return wf_poll_has_ring() && run(&sqe, deadline, ret);
}

bool
wf_ring_fsync(int fd, bool data_only, int64_t deadline, ssize_t *ret)
{
	struct io_uring_sqe sqe = {
	    .opcode = IORING_OP_FSYNC,
	    .fd = fd,
	    .fsync_flags = data_only ? IORING_FSYNC_DATASYNC : 0,
	};

	return wf_poll_has_ring() && run(&sqe, deadline, ret);
}
