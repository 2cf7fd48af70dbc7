/*
 * weft_sendfile: a part of a file to a stream.
 *
 * sendfile(2) saves a copy and costs three system calls more than it should: it has no flag not
 * to wait, so the output must be found to be O_NONBLOCK, and none not to raise SIGPIPE, which is
 * masked around it (os/fd.c). So what is small, and what goes to a blocking descriptor, is read
 * and written through a buffer: pread and send.
 */
#include "io/io.h"

#include "io/slot.h"
#include "os/os.h"
#include "sched/self.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_MAX ((size_t)0x7ffff000)	/* what one system call moves at most */
/* 1,000 bytes over TCP: 5 us by the buffer, 8 by sendfile(2); from 16 KiB on it is no slower. */
#define SMALL_BYTES ((size_t)8192)

struct io_sendfile {
	struct io_op op;
	int in_fd;
	off_t *off;
	size_t left;
};

/* One call. The file is held only that long: weft_close() of it need not wait for the stream. */
static ssize_t
send_piece(struct io_sendfile *sf, int out_fd)
{
	struct pd *in;
	ssize_t r = wf_pd_get(sf->in_fd, &in);

	if (r < 0)
		return r;
	r = wf_pd_enter(in, PD_OTHER, WEFT_FOREVER);
	if (r < 0)
		return r;
	r = wf_slot_acquire(sf->op.deadline);
	if (r == 0) {
		wf_blocking_begin();	/* the file may have to come from a disk */
		r = wf_os_sendfile(out_fd, sf->in_fd, sf->off, wf_min(sf->left, CHUNK_MAX));
		wf_blocking_end();
		wf_slot_release();
	}
	wf_pd_leave(in, PD_OTHER);
	return r;
}

static ssize_t
try_sendfile(struct io_op *op, struct pd *pd)
{
	struct io_sendfile *sf = wf_container_of(op, struct io_sendfile, op);
	ssize_t r = 0;

	while (sf->left > 0) {
		r = send_piece(sf, pd_number(pd));
		if (r <= 0)
			break;
		sf->left -= (size_t)r;
	}
	return r < 0 ? r : 0;
}

WF_PARKS ssize_t
wf_io_sendfile(int out_fd, int in_fd, off_t *off, size_t n, size_t *ret_done, int64_t deadline)
{
	struct io_sendfile sf = {
	    .op.try_fn = try_sendfile, .in_fd = in_fd, .off = off, .left = n};
	ssize_t r = wf_io_run(out_fd, PD_WRITE, &sf.op, deadline);

	*ret_done = n - sf.left;
	return r;
}

/* Through memory. Others may write between the pieces. */
WF_PARKS static ssize_t
copy(int out_fd, int in_fd, off_t *off, size_t n, size_t *ret_done, int64_t deadline)
{
	size_t left = n, size = wf_min(n, IO_COPY_BYTES);
	char *buf = malloc(size + 1);
	ssize_t r = 0;

	if (buf == NULL)
		return -ENOMEM;
	while (left > 0) {
		struct iovec v = {.iov_base = buf};
		struct io_write w;

		r = wf_io_pread(in_fd, buf, wf_min(left, size), *off, deadline);
		if (r <= 0)
			break;
		v.iov_len = (size_t)r;
		wf_io_write_init(&w, &v, 1);
		r = wf_io_run(out_fd, PD_WRITE, &w.op, deadline);
		*off += (off_t)w.at.done;
		left -= w.at.done;
		if (r < 0)
			break;
	}
	free(buf);
	*ret_done = n - left;
	return r < 0 ? r : 0;
}

WF_PARKS static ssize_t
send_file(int out_fd, int in_fd, off_t *off, size_t n, size_t *ret_done, int64_t deadline)
{
	int is_nonblock = n <= SMALL_BYTES ? 0 : wf_os_is_nonblock(out_fd);
	ssize_t r;

	if (is_nonblock < 0)
		return is_nonblock;
	if (is_nonblock)
		return wf_io_sendfile(out_fd, in_fd, off, n, ret_done, deadline);
	r = copy(out_fd, in_fd, off, n, ret_done, deadline);
	/* Nobody has asked out_fd for anything yet. */
	if (*ret_done == 0 && r <= 0 && wf_os_is_nonblock(out_fd) < 0)
		return -EBADF;
	return r;
}

WF_API_PARKS ssize_t
weft_sendfile(int out_fd, int in_fd, off_t *off, size_t n, int64_t deadline)
{
	off_t at = *off;
	size_t done = 0;
	ssize_t r;

	(void)wf_enter();
	r = send_file(out_fd, in_fd, &at, n, &done, deadline);
	wf_leave();
	*off = at;
	return done > 0 ? (ssize_t)done : r;
}
