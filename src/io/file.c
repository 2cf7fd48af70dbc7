/*
 * weft_pread, weft_pwrite: what reads and writes files. Disks have no readiness to wait for, so
 * these calls are marked as blocking and cost a thread while the disk works.
 */
#include "io/io.h"

#include "os/os.h"
#include "sched/self.h"

#include <errno.h>

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

WF_PARKS ssize_t
wf_io_pread(int fd, void *buf, size_t n, off_t off)
{
	struct positioned p = {.buf = buf, .n = n, .off = off};

	return run_positioned(fd, &p);
}

WF_API_PARKS ssize_t
weft_pread(int fd, void *buf, size_t n, off_t off, int64_t deadline)
{
	ssize_t r;

	(void)deadline;
	(void)wf_enter();
	r = wf_io_pread(fd, buf, n, off);
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
