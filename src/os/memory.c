/*
 * Memory from the kernel: mapping, guarding, giving back.
 */
#define _GNU_SOURCE
#include "os/os.h"
#include "os/valgrind.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102	/* Linux 6.13; not in glibc 2.36's headers */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif
#ifndef PIDFD_SELF
#define PIDFD_SELF (-10000)	/* Linux 6.15 */
#endif

void *
wf_os_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int
wf_os_map_again(void *p, size_t bytes)
{
	void *q = mmap(p, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return q == MAP_FAILED ? -errno : 0;
}

void
wf_os_unmap(void *p, size_t bytes)
{
	(void)munmap(p, bytes);
}

void
wf_os_touch(void *p, size_t bytes)
{
	(void)madvise(p, bytes, MADV_POPULATE_WRITE);
}

int
wf_os_guard_install(void *p, size_t bytes)
{
	return madvise(p, bytes, MADV_GUARD_INSTALL) == 0 ? 0 : -errno;
}

/* Gives the same advice about n places of our own memory. 0 or -errno: then some may be done. */
static int
advise_all(void *const at[], size_t bytes, unsigned n, int advice)
{
	struct iovec v[WF_OS_READY_MAX];
	long r;

	if (wf_on_valgrind())
		return -ENOSYS;		/* it would say so on stderr */
	for (unsigned i = 0; i < n; i++)
		v[i] = (struct iovec){ at[i], bytes };
	r = syscall(SYS_process_madvise, PIDFD_SELF, v, (unsigned long)n, advice, 0u);
	if (r < 0)
		return -errno;
	return (size_t)r == n * bytes ? 0 : -EAGAIN;
}

int
wf_os_make_ready(void *const guards[], size_t guard_bytes, void *const pages[], size_t page_bytes,
    unsigned n)
{
	int r = advise_all(guards, guard_bytes, n, MADV_GUARD_INSTALL);

	return r < 0 ? r : advise_all(pages, page_bytes, n, MADV_POPULATE_WRITE);
}

int
wf_os_protect_none(void *p, size_t bytes)
{
	return mprotect(p, bytes, PROT_NONE) == 0 ? 0 : -errno;
}

int
wf_os_dontneed(void *p, size_t bytes)
{
	return madvise(p, bytes, MADV_DONTNEED) == 0 ? 0 : -errno;
}

size_t
wf_os_untouched(void *p, size_t bytes)
{
	size_t page = wf_os_page_size();
	unsigned char is_there[64];

	for (size_t at = 0; at < bytes; at += sizeof(is_there) * page) {
		size_t n = bytes - at < sizeof(is_there) * page ? bytes - at
								: sizeof(is_there) * page;

		if (mincore((char *)p + at, n, is_there) != 0)
			return bytes;
		for (size_t i = 0; i < n / page; i++)
			if (is_there[i] & 1)
				return at + i * page;
	}
	return bytes;
}

void
wf_os_nohugepage(void *p, size_t bytes)
{
	/* Fails on kernels without huge pages, where it is not needed. */
	(void)madvise(p, bytes, MADV_NOHUGEPAGE);
}

size_t
wf_os_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

bool
wf_os_faults(const void *p)
{
	int fd[2];
	bool faults;

	/* The kernel reads the byte for us: EFAULT instead of a signal. A pipe really reads it. */
	if (pipe2(fd, O_CLOEXEC) != 0)
		return false;
	faults = write(fd[1], p, 1) < 0 && errno == EFAULT;
	(void)close(fd[0]);
	(void)close(fd[1]);
	return faults;
}

uint32_t
wf_os_stack_announce(uintptr_t lo, uintptr_t hi)
{
#ifdef WF_VALGRIND
	return (uint32_t)VALGRIND_STACK_REGISTER(lo, hi - 1);
#else
	(void)lo;
	(void)hi;
	return 0;
#endif
}

void
wf_os_stack_forget(uint32_t id)
{
#ifdef WF_VALGRIND
	VALGRIND_STACK_DEREGISTER(id);
#else
	(void)id;
#endif
}
