/*
 * io_uring(7) of the simulated machine: src/os/uring.c. The rings are plain memory; what is asked
 * by them is done here, at times and in an order that the seed says, by nobody's thread. README.md,
 * "The ring". Knows the operations that weft asks for.
 */
#define _GNU_SOURCE
#include "world.h"

#include "real.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SQ_MAX 128u
#define CQ_MAX 4096u

enum request_state {
	REQUEST_WAITS,		/* a poll, a receive: until its descriptor is ready */
	REQUEST_QUEUED,		/* a file's: no worker has begun */
	REQUEST_BEGUN,		/* a worker is at it: nobody stops it for sure */
	REQUEST_ENDED,		/* its completion is on its way */
};

struct request {
	struct io_uring_sqe sqe;
	struct iovec *v;	/* a copy: what a request points to is read when it is submitted */
	enum request_state state;
	int64_t due;		/* when it goes on to the next state; INT64_MAX while it waits */
	int32_t res;		/* of one that has ended */
	const struct sim_thread *thread;	/* that submitted it; NULL: that has ended */
};

static struct {
	_Atomic uint32_t sq_head, sq_tail, sq_flags, cq_head, cq_tail;
	struct io_uring_sqe sqes[SQ_MAX];
	struct io_uring_cqe cqes[CQ_MAX];
	uint32_t cq_entries;
	int fd;				/* an eventfd; 0: there is no ring */
	struct request **requests;
	uint32_t n, room;
	struct io_uring_cqe *over;	/* completions that had no room */
	uint32_t n_over, over_room;
} ring;

/* ---- Completions ---- */

/* An array with room for one more; NULL: there is none, and what runs may end here. */
static void *
with_room(void *array, uint32_t n, uint32_t *room, size_t size)
{
	if (n < *room)
		return array;
	*room = *room != 0 ? 2 * *room : 64;
	array = realloc(array, *room * size);
	if (array == NULL)
		wf_sim_fail("no memory for the simulator");
	return array;
}

/* Moves those over for which there is room now. */
static void
flush(void)
{
	uint32_t i = 0;

	for (; i < ring.n_over && ring.cq_tail - ring.cq_head < ring.cq_entries; i++) {
		ring.cqes[ring.cq_tail & (ring.cq_entries - 1)] = ring.over[i];
		ring.cq_tail++;
	}
	ring.n_over -= i;
	memmove(ring.over, ring.over + i, ring.n_over * sizeof(*ring.over));
	ring.sq_flags = ring.n_over != 0 ? IORING_SQ_CQ_OVERFLOW : 0;
}

/* A completion is told: to who waits in the ring, and to epoll. */
static void
post(uint64_t user_data, int32_t res)
{
	static const uint64_t one = 1;

	ring.over = with_room(ring.over, ring.n_over, &ring.over_room, sizeof(*ring.over));
	ring.over[ring.n_over++] = (struct io_uring_cqe){.user_data = user_data, .res = res};
	if (ring.n_over == 1)	/* else they stay in order, until somebody asks */
		flush();
	else
		ring.sq_flags = IORING_SQ_CQ_OVERFLOW;
	for (uint32_t i = 0; i < wf_sim.n_all; i++)
		if (wf_sim.all[i]->waits_ring)
			wf_sim_wake(wf_sim.all[i], 0);
	(void)wf_real_write(ring.fd, &one, sizeof(one));
	wf_sim_note((uint32_t)res);
}

/* ---- Requests ---- */

static int64_t
later(void)
{
	return wf_sim.now + 1 + ((int64_t)wf_sim_below(1000) << wf_sim_below(9));
}

static void
set_due(struct request *r, enum request_state state, int64_t due)
{
	wf_sim.n_ring_polls -= r->state == REQUEST_WAITS;
	wf_sim.n_ring_polls += state == REQUEST_WAITS;
	r->state = state;
	r->due = due;
	if (due < wf_sim.ring_due)
		wf_sim.ring_due = due;
}

/* Its completion comes at once, before whoever submitted it knows, or later than others'. */
static void
end(struct request *r, int32_t res)
{
	r->res = res;
	set_due(r, REQUEST_ENDED, wf_sim_below(2) == 0 ? wf_sim.now : later());
}

static void
forget(uint32_t i)
{
	struct request *r = ring.requests[i];

	ring.requests[i] = ring.requests[--ring.n];
	free(r->v);
	free(r);
}

static int32_t
transfer(const struct request *r)
{
	struct iovec *v = r->v;
	int n = (int)r->sqe.len;

	if (v[0].iov_len > 1 && wf_sim_fault(WEFT_SIM_PARTIAL, 4)) {
		v[0].iov_len = 1 + wf_sim_below((uint32_t)wf_min(v[0].iov_len, UINT32_MAX));
		n = 1;
	}
	return (int32_t)(r->sqe.opcode == IORING_OP_READV
	        ? wf_real_preadv(r->sqe.fd, v, n, (off_t)r->sqe.off)
	        : wf_real_pwritev(r->sqe.fd, v, n, (off_t)r->sqe.off));
}

/* What a worker does. The simulated disk forgets nothing: fsync(2) asks only for a descriptor. */
static int32_t
work(const struct request *r)
{
	if (r->sqe.opcode == IORING_OP_FSYNC)
		return wf_os_file_type(r->sqe.fd) < 0 ? -EBADF : 0;
	return transfer(r);
}

/* Its time has come. */
static void
go_on(uint32_t i)
{
	struct request *r = ring.requests[i];
	struct io_uring_cqe cqe;

	switch (r->state) {
	case REQUEST_QUEUED:
		set_due(r, REQUEST_BEGUN, later());
		break;
	case REQUEST_BEGUN:
		end(r, work(r));
		break;
	case REQUEST_ENDED:
	default:
		cqe = (struct io_uring_cqe){.user_data = r->sqe.user_data, .res = r->res};
		forget(i);
		post(cqe.user_data, cqe.res);
		break;
	}
}

void
wf_sim_ring_run(void)
{
	for (;;) {
		uint32_t first = 0;

		for (uint32_t i = 1; i < ring.n; i++)
			if (ring.requests[i]->due < ring.requests[first]->due)
				first = i;
		wf_sim.ring_due = ring.n != 0 ? ring.requests[first]->due : INT64_MAX;
		if (wf_sim.ring_due > wf_sim.now)
			return;
		go_on(first);
	}
}

/* What there is, or a part of it. */
static int32_t
receive(const struct io_uring_sqe *sqe)
{
	uint32_t n = sqe->len;

	if (n > 1 && wf_sim_fault(WEFT_SIM_PARTIAL, 4))
		n = 1 + wf_sim_below(n);
	return (int32_t)wf_real_recv(sqe->fd, (void *)(uintptr_t)sqe->addr, n, MSG_DONTWAIT);
}

/* Ends the request if its descriptor is ready. */
static bool
look(struct request *r)
{
	bool receives = r->sqe.opcode == IORING_OP_RECV;
	short wanted = receives ? POLLIN | POLLRDHUP : (short)r->sqe.poll32_events;
	int32_t res = wf_real_poll_wait(r->sqe.fd, wanted, 0);

	if (res == 0)
		return false;
	if (r->thread == NULL)
		res = -ECANCELED;
	else if (receives && (res = receive(&r->sqe)) == -EAGAIN)
		return false;	/* the event was of something else */
	end(r, res);
	return true;
}

bool
wf_sim_ring_look(void)
{
	bool found = false;

	for (uint32_t i = 0; i < ring.n; i++)
		if (ring.requests[i]->state == REQUEST_WAITS)
			found |= look(ring.requests[i]);
	return found;
}

/* The kernel is asked to end the request of that name. */
static int32_t
stop(uint64_t user_data)
{
	for (uint32_t i = 0; i < ring.n; i++) {
		struct request *r = ring.requests[i];

		if (r->sqe.user_data != user_data)
			continue;
		/* It looks whether a wake was for it, finds that it was not, and waits on. */
		if (r->state == REQUEST_WAITS && wf_sim_below(4) == 0)
			return wf_sim_below(2) == 0 ? -EALREADY : -ENOENT;
		if (r->state == REQUEST_ENDED)
			return wf_sim_below(2) == 0 ? -EALREADY : -ENOENT;
		if (r->state == REQUEST_BEGUN) {
			if (wf_sim_below(2) == 0)
				end(r, -EINTR);
			return -EALREADY;
		}
		end(r, -ECANCELED);
		return 0;
	}
	return -ENOENT;
}

static void
take(const struct io_uring_sqe *sqe)
{
	bool has_v = sqe->opcode == IORING_OP_READV || sqe->opcode == IORING_OP_WRITEV;
	struct request *r = calloc(1, sizeof(*r));

	ring.requests = with_room(ring.requests, ring.n, &ring.room, sizeof(struct request *));
	if (r == NULL || (r->v = calloc(has_v ? sqe->len : 1, sizeof(*r->v))) == NULL)
		wf_sim_fail("no memory for the simulator");
	*r = (struct request){.sqe = *sqe, .v = r->v, .state = REQUEST_ENDED,
	    .thread = wf_sim.current};
	ring.requests[ring.n++] = r;
	switch (sqe->opcode) {
	case IORING_OP_NOP:
		end(r, 0);
		break;
	case IORING_OP_POLL_ADD:
	case IORING_OP_RECV:
		set_due(r, REQUEST_WAITS, INT64_MAX);
		(void)look(r);
		break;
	case IORING_OP_POLL_REMOVE:
	case IORING_OP_ASYNC_CANCEL:
		end(r, stop(sqe->addr));
		break;
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		memcpy(r->v, (const void *)(uintptr_t)sqe->addr, sqe->len * sizeof(*r->v));
		set_due(r, REQUEST_QUEUED, later());
		break;
	case IORING_OP_FSYNC:
		set_due(r, REQUEST_QUEUED, later());
		break;
	default:
		wf_sim_fail("the simulated io_uring has no operation %u", sqe->opcode);
	}
}

void
wf_sim_ring_thread_ends(const struct sim_thread *t)
{
	for (uint32_t i = 0; i < ring.n; i++) {
		struct request *r = ring.requests[i];

		if (r->thread != t)
			continue;
		r->thread = NULL;
		if (r->state == REQUEST_QUEUED)
			end(r, -ECANCELED);
	}
}

void
wf_sim_ring_closes(int fd)
{
	for (uint32_t i = 0; i < ring.n; i++)
		if (ring.requests[i]->sqe.fd == fd)
			wf_sim_fail("descriptor %d is closed under a request to io_uring", fd);
}

/* ---- The calls ---- */

int
wf_os_uring_open(struct wf_os_uring *u, uint32_t sq_entries, uint32_t cq_entries)
{
	uint32_t less;

	if (!wf_sim_is_on())
		return wf_real_uring_open(u, sq_entries, cq_entries);
	wf_sim_call();
	*u = (struct wf_os_uring){.fd = -1};
	if (wf_sim.ring == SIM_NO_RING)
		return -ENOSYS;
	if (ring.fd > 0 || wf_sim_refuses())
		return -EMFILE;
	ring.fd = wf_real_eventfd();
	if (ring.fd < 0)
		return ring.fd;
	less = 2u << wf_sim_below(12);	/* so that completions have no room */
	ring.cq_entries = cq_entries < less ? cq_entries : less;
	ring.sq_head = ring.sq_tail = ring.cq_head = ring.cq_tail = 0;
	*u = (struct wf_os_uring){.fd = ring.fd,
	    .sq_entries = sq_entries < SQ_MAX ? sq_entries : SQ_MAX,
	    .cq_entries = ring.cq_entries, .sq_head = &ring.sq_head, .sq_tail = &ring.sq_tail,
	    .sq_flags = &ring.sq_flags, .cq_head = &ring.cq_head, .cq_tail = &ring.cq_tail,
	    .sqes = ring.sqes, .cqes = ring.cqes};
	return 0;
}

void
wf_os_uring_close(struct wf_os_uring *u)
{
	if (!wf_sim_is_on()) {
		wf_real_uring_close(u);
		return;
	}
	while (ring.n > 0)
		forget(0);
	wf_sim.n_ring_polls = 0;
	wf_sim.ring_due = INT64_MAX;
	(void)wf_real_close(ring.fd);
	ring.fd = 0;
	*u = (struct wf_os_uring){.fd = -1};
}

bool
wf_os_uring_knows(const struct wf_os_uring *u, const uint8_t *ops, size_t n)
{
	return wf_sim_is_on() || wf_real_uring_knows(u, ops, n);
}

int
wf_os_uring_submit(const struct wf_os_uring *u, uint32_t n)
{
	uint32_t taken = 0;

	if (!wf_sim_is_on())
		return wf_real_uring_submit(u, n);
	wf_sim_call();
	if (wf_sim_fault(WEFT_SIM_SPURIOUS, 16))
		return -EINTR;
	if (wf_sim_fault(WEFT_SIM_PARTIAL, 16))
		return -EAGAIN;
	if (wf_sim.ring_is_old) {
		flush();
		if (ring.n_over != 0)
			return -EBUSY;
	}
	for (; taken < n && ring.sq_head != ring.sq_tail; taken++) {
		take(&ring.sqes[ring.sq_head & (u->sq_entries - 1)]);
		ring.sq_head++;
	}
	wf_sim_ring_run();
	wf_sim_call();
	return (int)taken;
}

int
wf_os_uring_wait(const struct wf_os_uring *u, int64_t timeout_ns)
{
	int r;

	if (!wf_sim_is_on())
		return wf_real_uring_wait(u, timeout_ns);
	wf_sim_call();
	flush();
	if (wf_sim.ring_is_old && ring.n_over != 0)
		return -EBUSY;
	if (timeout_ns == 0 || ring.cq_tail != ring.cq_head)
		return 0;
	if (wf_sim_fault(WEFT_SIM_SPURIOUS, 8))
		return -EINTR;
	wf_sim.current->waits_ring = true;
	r = wf_sim_block(SIM_BLOCKED, timeout_ns < 0 || timeout_ns > INT64_MAX - wf_sim.now
	        ? INT64_MAX : wf_sim.now + timeout_ns);
	return r == -ETIMEDOUT ? -ETIME : r;
}
