/*
 * What a backend supplies: a way to be told that descriptors are ready. poller.c chooses one at
 * start and is all that calls it but ready.c. README.md, "Backends".
 */
#ifndef WEFT_POLL_BACKEND_H
#define WEFT_POLL_BACKEND_H

#include "poll/desc.h"

struct poll_backend {
	const char *name;

	/* Makes what it needs. Once; tried again later if it fails. 0, -EMFILE and the like. */
	int (*open)(void);

	/*
	 * Under pd->lock, before a park of w on pd->wait[dir]: sees to it that w is woken, claimed
	 * with 0, when one of events (of epoll(7)) comes or is there already. 0; -EAGAIN (not
	 * now), -EPERM (what cannot be polled), -ENOSPC, ...: then arm is not in use. It may do
	 * arm->receive instead, and then wakes w when that is done.
	 */
	int (*arm_locked)(struct pd *pd, struct pd_arm *arm, struct waiter *w, enum pd_use dir,
	    uint32_t events);
	/*
	 * After that park, without the lock, however it ended: arm and w may go away when it
	 * returns. May park. False: what came was nothing that was asked for, and would come
	 * again at once. NULL: nothing to do.
	 */
	bool (*disarm)(struct pd_arm *arm);
	/* Under pd->lock, for a wait that lasts: the number may mean another file than when it was
	 * armed. 0: seen to; 1 or a negative errno: those that wait shall be woken and ask. */
	int (*renew_locked)(struct pd *pd);
	/* Under pd->lock: nobody waits, and the number is about to be given back. */
	void (*forget_locked)(struct pd *pd);

	/* As wf_poll_wait(). True: the kick has been taken away; never when timeout_ns is 0. */
	bool (*wait)(int64_t timeout_ns, struct gqueue *q);
	/* Ends the wait of whoever waits, or the next one. Not called again before it was taken. */
	void (*kick)(void);
	/* From now on a wait also ends when the ring has completions. 0 or -errno. */
	int (*watch_ring)(int fd);
};

extern const struct poll_backend wf_poll_epoll, wf_poll_uring;

/* Chooses the backend, if it was not chosen: 0, or -EMFILE and the like, tried again next time. */
int wf_poll_turn_on(void);
/* The one in use; NULL before. */
const struct poll_backend *wf_poll_backend(void);

/* Before a wait that is not for a descriptor: counts it. wf_poll_done(1) takes it back. */
void wf_poll_count(void);
/* Is there a ring, and does the poller take what it has completed? */
bool wf_poll_has_ring(void);

#endif /* WEFT_POLL_BACKEND_H */
