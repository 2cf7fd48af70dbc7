/*
 * weft_pread, weft_pwrite.
 */
#include "io/disk.h"

#include "sched/self.h"

#include <errno.h>

WF_PARKS static ssize_t
positioned(int fd, bool is_write, const struct iovec *v, off_t off, int64_t deadline)
{
	struct pd *pd;
	size_t done = 0;
	ssize_t r = wf_pd_get(fd, &pd);

	if (r < 0)
		return r;
	if (off < 0)
		return -EINVAL;
	/* No turn to wait for, so no deadline either. */
	r = wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER);
	if (r < 0)
		return r;
	if (!is_write) {
		r = wf_io_disk_read(fd, v, 1, off, deadline);
	} else {
		do {
			struct iovec left = {(char *)v->iov_base + done, v->iov_len - done};

			r = wf_io_disk_write(fd, &left, 1, off + (off_t)done, deadline);
			if (r > 0)
				done += (size_t)r;
		} while (r > 0 && done < v->iov_len);
	}
	wf_pd_leave(pd, PD_OTHER);
	return done > 0 ? (ssize_t)done : r;
}

WF_PARKS ssize_t
wf_io_pread(int fd, void *buf, size_t n, off_t off, int64_t deadline)
{
	struct iovec v = {.iov_base = buf, .iov_len = n};

	return positioned(fd, false, &v, off, deadline);
}

WF_API_PARKS ssize_t
weft_pread(int fd, void *buf, size_t n, off_t off, int64_t deadline)
{
	ssize_t r;

	(void)wf_enter();
	r = wf_io_pread(fd, buf, n, off, deadline);
	wf_leave();
	return r;
}

WF_API_PARKS ssize_t
weft_pwrite(int fd, const void *buf, size_t n, off_t off, int64_t deadline)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};
	ssize_t r;

	(void)wf_enter();
	r = positioned(fd, true, &v, off, deadline);
	wf_leave();
	return r;
}
