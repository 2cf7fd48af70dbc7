/*
 * io_uring(7) by its three system calls: making a ring, entering it, asking what it knows. What is
 * in the rings is its user's business (poll/ring.c).
 */
#define _GNU_SOURCE
#include "os/os.h"

#include "base/atomic.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_io_uring_setup	/* the numbers are the same on all architectures */
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

/*
 * One mapping for both rings (5.4), no completion dropped (5.5), what a request points to is read
 * when it is submitted (5.5), timeouts without a request (5.11), workers that are threads of ours
 * (5.12).
 */
#define NEEDED \
	(IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | \
	    IORING_FEAT_RW_CUR_POS | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS)

/*
 * IORING_SETUP_COOP_TASKRUN, Linux 5.19: the thread that submitted is not interrupted to complete
 * a request; the next system call or tick of its does. An echo server without it makes 60,000
 * round trips a second, with it 138,000.
 */
#define SETUP_COOP_TASKRUN (1u << 8)

static _Atomic bool is_used;	/* a hint for who counts threads */

bool
wf_os_uring_is_used(void)
{
	return wf_load_relaxed(&is_used);
}

/* A child of fork(2) must not have it: what it takes from the ring is lost to us. */
static void *
map(int fd, size_t bytes, off_t what)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_DONTFORK);
	return p;
}

static void
set_pointers(struct wf_os_uring *u, const struct io_uring_params *p)
{
	char *ring = u->ring;
	uint32_t *array = (uint32_t *)(void *)(ring + p->sq_off.array);

	u->sq_head = (_Atomic uint32_t *)(void *)(ring + p->sq_off.head);
	u->sq_tail = (_Atomic uint32_t *)(void *)(ring + p->sq_off.tail);
	u->sq_flags = (_Atomic uint32_t *)(void *)(ring + p->sq_off.flags);
	u->cq_head = (_Atomic uint32_t *)(void *)(ring + p->cq_off.head);
	u->cq_tail = (_Atomic uint32_t *)(void *)(ring + p->cq_off.tail);
	u->cqes = (struct io_uring_cqe *)(void *)(ring + p->cq_off.cqes);
	u->sq_entries = p->sq_entries;
	u->cq_entries = p->cq_entries;
	/* Which entry is the i-th is ours to say: always the i-th. */
	for (uint32_t i = 0; i < p->sq_entries; i++)
		array[i] = i;
}

static int
setup(uint32_t sq_entries, uint32_t cq_entries, uint32_t flags, struct io_uring_params *ret_p)
{
	long r;

	*ret_p = (struct io_uring_params){
	    .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | flags, .cq_entries = cq_entries};
	r = syscall(SYS_io_uring_setup, sq_entries, ret_p);	/* close-on-exec always */
	return r < 0 ? -errno : wf_os_above_stdio((int)r);
}

int
wf_os_uring_open(struct wf_os_uring *u, uint32_t sq_entries, uint32_t cq_entries)
{
	struct io_uring_params p;
	size_t sq_bytes, cq_bytes;

	*u = (struct wf_os_uring){.fd = setup(sq_entries, cq_entries, SETUP_COOP_TASKRUN, &p)};
	if (u->fd == -EINVAL)
		u->fd = setup(sq_entries, cq_entries, 0, &p);
	if (u->fd < 0)
		return u->fd;
	if ((p.features & NEEDED) != NEEDED) {
		wf_os_uring_close(u);
		return -EOPNOTSUPP;
	}
	sq_bytes = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
	cq_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	u->ring_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
	u->sqes_bytes = p.sq_entries * sizeof(struct io_uring_sqe);
	u->ring = map(u->fd, u->ring_bytes, IORING_OFF_SQ_RING);
	u->sqes = map(u->fd, u->sqes_bytes, (off_t)IORING_OFF_SQES);
	if (u->ring == NULL || u->sqes == NULL) {
		wf_os_uring_close(u);
		return -ENOMEM;
	}
	set_pointers(u, &p);
	wf_store_relaxed(&is_used, true);
	return 0;
}

void
wf_os_uring_close(struct wf_os_uring *u)
{
	if (u->ring != NULL)
		(void)munmap(u->ring, u->ring_bytes);
	if (u->sqes != NULL)
		(void)munmap(u->sqes, u->sqes_bytes);
	if (u->fd >= 0)
		(void)wf_os_close(u->fd);
	*u = (struct wf_os_uring){.fd = -1};
}

bool
wf_os_uring_knows(const struct wf_os_uring *u, const uint8_t *ops, size_t n)
{
	enum { MAX = 64 };
	union {
		struct io_uring_probe head;	/* its ops follow it */
		char room[sizeof(struct io_uring_probe) + MAX * sizeof(struct io_uring_probe_op)];
	} probe = {.room = {0}};

	if (syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_PROBE, &probe, MAX) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ops[i] >= MAX || ops[i] > probe.head.last_op ||
		    !(probe.head.ops[ops[i]].flags & IO_URING_OP_SUPPORTED))
			return false;
	return true;
}

int
wf_os_uring_submit(const struct wf_os_uring *u, uint32_t n)
{
	long r = syscall(SYS_io_uring_enter, u->fd, n, 0, 0, NULL, (size_t)0);

	return r < 0 ? -errno : (int)r;
}

int
wf_os_uring_wait(const struct wf_os_uring *u, int64_t timeout_ns)
{
	struct __kernel_timespec ts = {
	    .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct io_uring_getevents_arg arg = {
	    .ts = timeout_ns > 0 ? (uint64_t)(uintptr_t)&ts : 0};
	long r = syscall(SYS_io_uring_enter, u->fd, 0, timeout_ns != 0,
	    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));

	return r < 0 ? -errno : 0;
}
