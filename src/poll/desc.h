/*
 * What weft knows of a descriptor number: who operates on it now, who waits for it, and
 * whether it is being closed. Protocols: README.md, "Operations" (O1-O7), "Readiness" (R1-R9),
 * "Closing" (K1-K6).
 *
 * Everything here is called between wf_enter() and wf_leave().
 */
#ifndef WEFT_POLL_DESC_H
#define WEFT_POLL_DESC_H

#include "base/atomic.h"
#include "poll/ring.h"
#include "sched/lock.h"
#include "sched/park.h"

/* What an operation does to a descriptor. The first two are the directions of epoll(7) also. */
enum pd_use {
	PD_READ,	/* one at a time: read, receive, accept */
	PD_WRITE,	/* one at a time: write, send, connect */
	PD_OTHER,	/* any number: poll, pread, pwrite */
};

/* How a descriptor is asked without waiting; io/how.c finds out, and io/run.c uses it. */
enum pd_how {
	PD_HOW_UNKNOWN,
	PD_HOW_SOCKET,	/* MSG_DONTWAIT */
	PD_HOW_TCP,	/* the same, and a short receive has taken all there was (R7) */
	PD_HOW_NOWAIT,	/* preadv2(2) with RWF_NOWAIT */
	PD_HOW_POLL,	/* poll(2) first, unless it is O_NONBLOCK */
	PD_HOW_FILE,	/* not at all: a regular file or the like, epoll(7) does not take it */
	PD_HOW_BLOCK,	/* not at all: something else that epoll(7) does not take */
};

/*
 * Operations in flight: 20 bits for each enum pd_use, and two flags.
 *
 *   P1  refs: acq_rel on every change
 *       An operation that is counted, or that finds PD_CLOSING, sees the record as whoever
 *       closed or reset it before has left it; the closer that finds the counts at 0 comes
 *       after everything that the operations did with the descriptor.
 */
#define PD_COUNT_BITS 20
#define PD_COUNT_MASK ((UINT64_C(1) << PD_COUNT_BITS) - 1)
#define PD_ONE(use) (UINT64_C(1) << ((use) * PD_COUNT_BITS))
#define PD_COUNT(refs, use) (((refs) >> ((use) * PD_COUNT_BITS)) & PD_COUNT_MASK)
#define PD_COUNT_ALL ((UINT64_C(1) << (3 * PD_COUNT_BITS)) - 1)
#define PD_CLOSING (UINT64_C(1) << 63)	/* weft_close() was called: nobody else may begin */
#define PD_FINAL (UINT64_C(1) << 62)	/* close(2) is being called: wait until it is over */

/* Go's limit is 1,048,575. Ours leaves room for those that are only about to find out. */
#define PD_OPS_MAX (PD_COUNT_MASK - 65536)

/*
 * The record of one descriptor number. All zero when the number is first seen; never freed,
 * so that a stale event or waker finds a record, and by its generation that it is too late.
 *
 *   c  constant once the table holds it
 *   l  under lock
 *   w  written under lock, read by anyone
 *   x  rules at the field
 */
struct pd {
	struct wf_lock lock;
	_Atomic int fd;			/* x  its number; all who find the record store the same */
	_Atomic uint64_t refs;		/* x  P1 */

	uint32_t gen;			/* l  + 1 when what was registered is no longer meant */
	uint16_t nwaits;		/* l  waits begun; that it wraps makes one check too many */
	uint16_t nwaits_seen;		/* l  nwaits at the last look */
	bool is_registered : 1;		/* l  epoll has it, as far as we know */
	bool on_look : 1;		/* l  on the list of wf_poll_revalidate() */
	bool has_ended : 1;		/* l  R8: an event told of an end, an error, urgent data */
	bool is_unasked : 1;		/* l  R9: its reader waits without having asked ... */
	bool unasked_seen : 1;		/* l  ... and has been seen to */
	_Atomic bool is_drained;	/* x  R7: the reader's; whoever forgets clears it */
	bool turn_is_free[2];		/* l  O4: no owner, but others on their way to the lock */

	/*
	 * x  An edge came while no owner waited. Set under lock; cleared under lock or, before it
	 * asks the system, by the owner of the direction (R1). The release of R6 and the acquire of
	 * R1: whoever forgets an edge comes after what made it, and so does what it asks then.
	 */
	_Atomic uint8_t ready[2];
	_Atomic uint8_t how[2];		/* x  enum pd_how, a cache put right when it fails */

	uint64_t socket_id;		/* l  of the socket that is registered; 0 = not known */
	struct waitq wait[2];		/* l  until it is ready: the direction's owner, polls */
	struct waitq turn[2];		/* l  until it is their turn */
	struct waitq closing;		/* l  the closer at K3; with PD_FINAL, who awaits K6 */
	struct pd *look_next;		/* x  list link: its pusher's, then its taker's */
};

_Static_assert(sizeof(struct pd) == WF_CACHELINE, "two records must not share a line");

/* Constant, though it is stored more than once: no order. */
static inline int
pd_number(const struct pd *pd)
{
	return wf_load_relaxed(&pd->fd);
}

/*
 * What a reader would like done when there is something to read, instead of being told: a receive
 * into buf. On its stack. A backend may do it or not.
 */
struct pd_receive {
	void *buf;
	size_t n;
	int32_t res;		/* what recv(2) would have returned, or -errno ... */
	bool has_res;		/* ... if one was done: data may have been taken */
};

/*
 * One wait for readiness, for the backend to keep what it likes in. On the waiter's stack, from
 * before the park until disarm() has returned (backend.h). Under pd->lock.
 */
struct pd_arm {
	struct pd_receive *receive;	/* filled in by who waits; or NULL */
	struct ring_op op;
	struct pd *pd;
	struct waiter *w;	/* who waits, on pd->wait[dir] */
	enum pd_use dir;
	uint32_t events;	/* what it waits for */
	struct waiter *leaver;	/* who waits for the end of the request, or of its removal */
	struct ring_op removal;
	bool is_removing;	/* the removal is with the kernel ... */
	bool is_removed;	/* ... which has agreed to it: op ends now */
	_Atomic bool is_done;	/* U10  the request has ended ... */
	int32_t res;		/* ... and this is what came */
};

/* How many descriptor numbers there may be: the table is two levels of this many in all. */
#define PD_LEAF 4096u
#define PD_TOP 16384u

/* The record of fd, made if need be. 0, -EBADF (negative), -EMFILE (beyond the table), -ENOMEM. */
int wf_pd_get(int fd, struct pd **ret_pd);

/* The record if there is one, or NULL. */
struct pd *wf_pd_find(int fd);

/*
 * Begins an operation: it is counted, and for PD_READ and PD_WRITE it is the only one of its
 * kind until wf_pd_leave(): its turn has come. Waits for that in line, until deadline.
 * 0, -EBADF (closed meanwhile), -ETIMEDOUT, -ECANCELED; panics when there are too many.
 */
WF_PARKS int wf_pd_enter(struct pd *pd, enum pd_use use, int64_t deadline);
void wf_pd_leave(struct pd *pd, enum pd_use use);

/*
 * The owner of a direction, before it asks the system the first time: what was ready before
 * then is of no interest (R1).
 */
static inline void
wf_pd_prepare(struct pd *pd, enum pd_use dir)
{
	/* An exchange, not a store: it must be over before the system is asked. */
	if (wf_load_relaxed(&pd->ready[dir]) != 0)
		(void)wf_xchg_seqcst(&pd->ready[dir], 0);		/* R1 */
}

/*
 * The owner of a direction has got EAGAIN: waits until it should ask again. 0, -EBADF, -ETIMEDOUT,
 * -ECANCELED, -EPERM (epoll(7) does not take it), -ENOSPC, -ENOMEM, -EMFILE. With receive (or NULL)
 * the answer may have come with it, however the wait ended: receive->has_res.
 */
WF_PARKS int wf_pd_wait(struct pd *pd, enum pd_use dir, int64_t deadline,
    struct pd_receive *receive);

/*
 * The descriptor's own deadline in a direction, which ends waits besides that of each call; moved
 * at any time, WEFT_FOREVER takes it away. 0 or -ENOMEM.
 */
int wf_pd_until_set(struct pd *pd, enum pd_use dir, int64_t at);
/* The earlier of that and deadline. Exact under pd->lock. */
int64_t wf_pd_until(const struct pd *pd, enum pd_use dir, int64_t deadline);
void wf_pd_until_clear_locked(const struct pd *pd) WF_HOLDS(pd->lock);

/* poll(2) for events, between wf_pd_enter(PD_OTHER) and leave: revents, or as wf_pd_wait(). */
WF_PARKS int wf_pd_poll(struct pd *pd, short events, int64_t deadline);

/* Closes the descriptor (K1-K6). 0, -EBADF, or what close(2) said. */
WF_PARKS int wf_pd_close(struct pd *pd);

/*
 * fd was just made by us, and is asked in that way. What its record still knows is of a descriptor
 * that was closed without weft: forgets it; whoever waits there gets -EBADF.
 */
void wf_pd_adopt(int fd, enum pd_how how);

/*
 * fd was just made by us: waits until the close(2) of the number's last owner is over (K6). From
 * then on wf_pd_enter() neither waits nor fails for PD_OTHER, as long as we have the number.
 */
WF_PARKS void wf_pd_settle(int fd);

/* ---- between the files of poll/ ---- */

/* Takes every waiter off q, claimed with result, and puts those that could be claimed on ready. */
uint32_t wf_pd_claim_all(struct waitq *q, int result, struct gqueue *ready);
/* Under pd->lock, before a wait in pd->wait: counts it. wf_poll_done(1) takes it back. */
void wf_poll_count_locked(struct pd *pd) WF_HOLDS(pd->lock);
/* Events of epoll(7) for a record, if its generation is still gen: wakes who waits for them. */
void wf_pd_event(struct pd *pd, uint32_t gen, uint32_t events, struct gqueue *ready);
/*
 * An event for it is about to be handled: has what that touches brought into the cache. Its
 * reader's place in the queue, when the record has come; soon: the reader, when that has come.
 */
void wf_pd_expect(struct pd *pd, bool soon);
/* What wf_poll_revalidate() does with one record. True: look again later. */
bool wf_pd_look(struct pd *pd, struct gqueue *ready);

/* Urgent data was taken: no event will tell of the mark that it leaves in the stream (R8). */
void wf_pd_took_urgent(struct pd *pd);

#endif /* WEFT_POLL_DESC_H */
