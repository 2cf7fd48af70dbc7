/*
 * Reading and writing files. In this order: what can be had without waiting, which is what the page
 * cache holds; then, with a slot, by the ring; and by a call that blocks the thread where there is
 * no ring, or where the file system can't say whether it would wait.
 */
#include "io/disk.h"

#include "io/slot.h"
#include "os/os.h"
#include "poll/fileop.h"

#include <errno.h>

#define WINDOW 64

/* One piece. */
WF_PARKS static ssize_t
transfer(int fd, bool is_write, const struct iovec *v, int n, off_t off, int64_t deadline)
{
	ssize_t r = is_write ? wf_os_pwritev_nowait(fd, v, n, off)
			     : wf_os_preadv_nowait(fd, v, n, off);
	bool waits = r == -EAGAIN;

	if (r != -EAGAIN && r != -EOPNOTSUPP)
		return r;
	if (waits && (r = wf_park_check(deadline, true)) < 0)
		return r;
	r = wf_slot_acquire(deadline);
	if (r < 0)
		return r;
	if (!waits || !wf_ring_rw(fd, is_write, v, n, off, deadline, &r)) {
		wf_blocking_begin();
		r = is_write ? wf_os_pwritev(fd, v, n, off) : wf_os_preadv(fd, v, n, off);
		wf_blocking_end();
	}
	wf_slot_release();
	return r;
}

ssize_t
wf_io_disk_read(int fd, const struct iovec *v, int n, off_t off, int64_t deadline)
{
	struct io_vec at = {.v = v, .n = n};
	struct iovec window[WINDOW];
	ssize_t r;

	/* The cache may hold the beginning only: a file is not short but at its end. */
	do {
		bool whole = at.skip == 0;
		int k = whole ? at.n : wf_io_window(&at, window, SIZE_MAX, WINDOW);

		r = transfer(fd, false, whole ? at.v : window, k,
		    off < 0 ? off : off + (off_t)at.done, deadline);
		if (r > 0)
			wf_io_advance(&at, (size_t)r);
	} while (r > 0 && at.n > 0);
	return at.done > 0 ? (ssize_t)at.done : r;
}

ssize_t
wf_io_disk_write(int fd, const struct iovec *v, int n, off_t off, int64_t deadline)
{
	return transfer(fd, true, v, n, off, deadline);
}
