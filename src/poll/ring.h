/*
 * The one io_uring(7) of the process: README.md, "The ring" (U1-U10) and "Handing over" (H1-H6).
 * Whoever has a request hands it over at once, or leaves that to who polls next; completions are
 * taken by whoever polls. Knows no descriptors but by their numbers.
 *
 * Everything here is called between wf_enter() and wf_leave().
 */
#ifndef WEFT_POLL_RING_H
#define WEFT_POLL_RING_H

#include "base/compiler.h"
#include "sched/g.h"

struct io_uring_sqe;

/*
 * A request in the kernel's hands: its user_data is the address. It stays where it is until done()
 * has been called, which happens once for each request that was submitted.
 */
struct ring_op {
	/* Called by the thread that took the completion, without locks. Goroutines to be made
	 * runnable go on ready, claimed and counted as in wf_poll_wait(). */
	void (*done)(struct ring_op *op, int32_t res, struct gqueue *ready);
};

/* Makes the ring at the first call, if WEFT_POLLER and the system let us. False: there is none. */
bool wf_ring_on(void);
/* The descriptor: readable when there are completions. */
int wf_ring_fd(void);

/*
 * Hands sqe over for op, or for nobody (NULL). 0, or -errno, and then nothing was submitted:
 * -EAGAIN (no memory), -EBUSY (completions must be taken first; Linux before 5.19), or what
 * wf_ring_is_refused() is true of. Takes about a microsecond; blocks for no request.
 */
int wf_ring_submit(const struct io_uring_sqe *sqe, struct ring_op *op);
/*
 * The same, but it is handed over later: by the next wf_ring_wait(), or with the next that is
 * submitted, whoever calls it; at once when a thread waits in there. 0 or -errno, likewise.
 */
int wf_ring_put(const struct io_uring_sqe *sqe, struct ring_op *op);
/* What was put in for this descriptor and not yet handed over will end with -EBADF. */
void wf_ring_revoke(int fd);
/* As wf_ring_submit(), as often as need be; takes completions meanwhile. By a goroutine, without
 * locks. 0, or the ring is refused. */
int wf_ring_submit_surely(const struct io_uring_sqe *sqe, struct ring_op *op);
/* Is this -errno of the ring one that stays: somebody forbade io_uring, or closed our ring? */
bool wf_ring_is_refused(int r);

/* Calls done() for what is complete. Costs two loads if nothing is. */
void wf_ring_reap(struct gqueue *ready);

/*
 * Hands over what was put in, and waits until something is complete: as wf_poll_wait(), but for
 * the reaping. 0 or -errno.
 */
int wf_ring_wait(int64_t timeout_ns);

/*
 * Submits sqe for the calling goroutine and waits for its end, which is put in *ret_res; it counts
 * as a waiter in the poller meanwhile. When the deadline comes or the scope is cancelled, the
 * kernel is asked to stop. 0; -ETIMEDOUT or -ECANCELED: it did, nothing was done; another
 * -errno: it could not be submitted. On every return the kernel is done with the request's memory.
 */
WF_PARKS int wf_ring_run(struct io_uring_sqe *sqe, int64_t deadline, int32_t *ret_res);

/* For tests: entries of a ring that is made later. */
extern uint32_t wf_ring_sq_entries, wf_ring_cq_entries;

#endif /* WEFT_POLL_RING_H */
