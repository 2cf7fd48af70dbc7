/*
 * Files by name, and what is done to them as a whole: the functions of <weft/file.h>.
 *
 * By calls that block, with a slot: most find all they need in memory and take a microsecond, where
 * the way through the ring and one of the kernel's workers takes 36. But fsync(2) always waits
 * for the disk: that goes by the ring, if there is one.
 */
#include <weft/file.h>

#include "io/slot.h"
#include "os/os.h"
#include "poll/desc.h"
#include "poll/fileop.h"

/* A call and its arguments, some of them. On the caller's stack. */
struct call {
	int (*fn)(const struct call *c);
	const char *path;
	const char *to;
	int fd;
	int flags;
	mode_t mode;
	off_t length;
	struct stat *st;
	struct dirent ***names;
};

static int
call_fsync(const struct call *c)
{
	return wf_os_fsync(c->fd, c->flags != 0);
}

WF_PARKS static int
run(const struct call *c, int64_t deadline)
{
	ssize_t done;
	int r = wf_slot_acquire(deadline);

	if (r < 0)
		return r;
	if (c->fn == call_fsync && wf_ring_fsync(c->fd, c->flags != 0, deadline, &done)) {
		r = (int)done;
	} else {
		wf_blocking_begin();
		r = c->fn(c);
		wf_blocking_end();
	}
	wf_slot_release();
	return r;
}

WF_PARKS static int
run_path(const struct call *c, int64_t deadline)
{
	int r;

	(void)wf_enter();
	r = run(c, deadline);
	wf_leave();
	return r;
}

/* On a descriptor: its number is not given back meanwhile. */
WF_PARKS static int
run_fd(const struct call *c, int64_t deadline)
{
	struct pd *pd;
	int r;

	(void)wf_enter();
	r = wf_pd_get(c->fd, &pd);
	if (r == 0)
		r = wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER);
	if (r == 0) {
		r = run(c, deadline);
		wf_pd_leave(pd, PD_OTHER);
	}
	wf_leave();
	return r;
}

static int
call_open(const struct call *c)
{
	return wf_os_open(c->path, c->flags, c->mode);
}

WF_API_PARKS int
weft_open(const char *path, int flags, mode_t mode, int64_t deadline)
{
	const struct call c = {.fn = call_open, .path = path, .flags = flags, .mode = mode};
	int r;

	(void)wf_enter();
	r = run(&c, deadline);
	if (r >= 0)
		wf_pd_adopt(r, PD_HOW_UNKNOWN);
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_fsync(int fd, int64_t deadline)
{
	const struct call c = {.fn = call_fsync, .fd = fd};

	return run_fd(&c, deadline);
}

WF_API_PARKS int
weft_fdatasync(int fd, int64_t deadline)
{
	const struct call c = {.fn = call_fsync, .fd = fd, .flags = 1};

	return run_fd(&c, deadline);
}

static int
call_ftruncate(const struct call *c)
{
	return wf_os_ftruncate(c->fd, c->length);
}

WF_API_PARKS int
weft_ftruncate(int fd, off_t length, int64_t deadline)
{
	const struct call c = {.fn = call_ftruncate, .fd = fd, .length = length};

	return run_fd(&c, deadline);
}

static int
call_fstat(const struct call *c)
{
	return wf_os_fstat(c->fd, c->st);
}

WF_API_PARKS int
weft_fstat(int fd, struct stat *ret, int64_t deadline)
{
	const struct call c = {.fn = call_fstat, .fd = fd, .st = ret};

	return run_fd(&c, deadline);
}

static int
call_stat(const struct call *c)
{
	return wf_os_stat(c->path, c->st);
}

WF_API_PARKS int
weft_stat(const char *path, struct stat *ret, int64_t deadline)
{
	const struct call c = {.fn = call_stat, .path = path, .st = ret};

	return run_path(&c, deadline);
}

static int
call_lstat(const struct call *c)
{
	return wf_os_lstat(c->path, c->st);
}

WF_API_PARKS int
weft_lstat(const char *path, struct stat *ret, int64_t deadline)
{
	const struct call c = {.fn = call_lstat, .path = path, .st = ret};

	return run_path(&c, deadline);
}

static int
call_rename(const struct call *c)
{
	return wf_os_rename(c->path, c->to);
}

WF_API_PARKS int
weft_rename(const char *from, const char *to, int64_t deadline)
{
	const struct call c = {.fn = call_rename, .path = from, .to = to};

	return run_path(&c, deadline);
}

static int
call_unlink(const struct call *c)
{
	return wf_os_unlink(c->path);
}

WF_API_PARKS int
weft_unlink(const char *path, int64_t deadline)
{
	const struct call c = {.fn = call_unlink, .path = path};

	return run_path(&c, deadline);
}

static int
call_mkdir(const struct call *c)
{
	return wf_os_mkdir(c->path, c->mode);
}

WF_API_PARKS int
weft_mkdir(const char *path, mode_t mode, int64_t deadline)
{
	const struct call c = {.fn = call_mkdir, .path = path, .mode = mode};

	return run_path(&c, deadline);
}

static int
call_rmdir(const struct call *c)
{
	return wf_os_rmdir(c->path);
}

WF_API_PARKS int
weft_rmdir(const char *path, int64_t deadline)
{
	const struct call c = {.fn = call_rmdir, .path = path};

	return run_path(&c, deadline);
}

static int
call_scandir(const struct call *c)
{
	return wf_os_scandir(c->path, c->names);
}

WF_API_PARKS int
weft_scandir(const char *path, struct dirent ***ret, int64_t deadline)
{
	const struct call c = {.fn = call_scandir, .path = path, .names = ret};

	return run_path(&c, deadline);
}
