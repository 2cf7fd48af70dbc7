/*
 * weft_pread, weft_pwrite, weft_sendfile: what reads and writes files. Disks have no readiness
 * to wait for, so these calls are marked as blocking and cost a thread while the disk works.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/self.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_MAX ((size_t)0x7ffff000)	/* what one system call moves at most */
#define COPY_BYTES ((size_t)65536)	/* where sendfile(2) would block, as much as a pipe holds */

struct positioned {
	void *buf;
	size_t n;
	off_t off;
	bool is_write;
	size_t done;
};

WF_PARKS static ssize_t
run_positioned(int fd, struct positioned *p)
{
	struct pd *pd;
	ssize_t r = wf_pd_get(fd, &pd);

	if (r < 0)
		return r;
	/* No turn to wait for, so no deadline either: it goes at once. */
	r = wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER);
	if (r < 0)
		return r;
	wf_blocking_begin();
	if (!p->is_write) {
		r = wf_os_pread(fd, p->buf, p->n, p->off);
	} else {
		do {
			r = wf_os_pwrite(fd, (char *)p->buf + p->done, p->n - p->done,
			    p->off + (off_t)p->done);
			if (r > 0)
				p->done += (size_t)r;
		} while (r > 0 && p->done < p->n);
	}
	wf_blocking_end();
	wf_pd_leave(pd, PD_OTHER);
	return p->done > 0 ? (ssize_t)p->done : r;
}

WF_API_PARKS ssize_t
weft_pread(int fd, void *buf, size_t n, off_t off, int64_t deadline)
{
	struct positioned p = {.buf = buf, .n = n, .off = off};
	ssize_t r;

	(void)deadline;
	(void)wf_enter();
	r = run_positioned(fd, &p);
	wf_leave();
	return r;
}

WF_API_PARKS ssize_t
weft_pwrite(int fd, const void *buf, size_t n, off_t off, int64_t deadline)
{
	struct positioned p = {
	    .buf = (void *)(uintptr_t)buf, .n = n, .off = off, .is_write = true};
	ssize_t r;

	(void)deadline;
	(void)wf_enter();
	r = run_positioned(fd, &p);
	wf_leave();
	return r;
}

struct io_sendfile {
	struct io_op op;
	int in_fd;
	off_t off;
	size_t left;
};

static ssize_t
try_sendfile(struct io_op *op, struct pd *pd)
{
	struct io_sendfile *sf = wf_container_of(op, struct io_sendfile, op);
	ssize_t r = 0;

	while (sf->left > 0) {
		wf_blocking_begin();	/* the file may have to come from a disk */
		r = wf_os_sendfile(pd_number(pd), sf->in_fd, &sf->off, wf_min(sf->left, CHUNK_MAX));
		wf_blocking_end();
		if (r <= 0)
			break;
		sf->left -= (size_t)r;
	}
	return r < 0 ? r : 0;
}

/* For an output that is blocking: sendfile(2) has no way not to wait for that. */
WF_PARKS static ssize_t
copy(int out_fd, struct io_sendfile *sf, int64_t deadline)
{
	char *buf = malloc(COPY_BYTES);
	ssize_t r;

	if (buf == NULL)
		return -ENOMEM;
	for (r = 0; sf->left > 0;) {
		struct positioned p = {
		    .buf = buf, .n = wf_min(sf->left, COPY_BYTES), .off = sf->off};
		struct iovec v = {.iov_base = buf};
		struct io_write w;

		r = run_positioned(sf->in_fd, &p);
		if (r <= 0)
			break;
		v.iov_len = (size_t)r;
		wf_io_write_init(&w, &v, 1);
		r = wf_io_run(out_fd, PD_WRITE, &w.op, deadline);
		sf->off += (off_t)w.done;
		sf->left -= w.done;
		if (r < 0)
			break;
	}
	free(buf);
	return r < 0 ? r : 0;
}

WF_PARKS static ssize_t
send_file(int out_fd, struct io_sendfile *sf, int64_t deadline)
{
	struct pd *in;
	ssize_t r = wf_os_is_nonblock(out_fd);

	if (r < 0)
		return r;
	if (r == 0)
		return copy(out_fd, sf, deadline);
	/* in_fd must not be closed under us either. */
	r = wf_pd_get(sf->in_fd, &in);
	if (r < 0)
		return r;
	r = wf_pd_enter(in, PD_OTHER, deadline);
	if (r < 0)
		return r;
	r = wf_io_run(out_fd, PD_WRITE, &sf->op, deadline);
	wf_pd_leave(in, PD_OTHER);
	return r;
}

WF_API_PARKS ssize_t
weft_sendfile(int out_fd, int in_fd, off_t *off, size_t n, int64_t deadline)
{
	struct io_sendfile sf = {
	    .op.try_fn = try_sendfile, .in_fd = in_fd, .off = *off, .left = n};
	ssize_t r;

	(void)wf_enter();
	r = send_file(out_fd, &sf, deadline);
	wf_leave();
	*off = sf.off;
	return n > sf.left ? (ssize_t)(n - sf.left) : r;
}
