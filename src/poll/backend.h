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
	 * Under pd->lock, before a park on pd->wait: sees to it that w is woken, and claimed with
	 * 0, when one of events (of epoll(7)) comes or is there already. 0, -EPERM (what cannot
	 * be polled), -ENOSPC, -ENOMEM, ...: then arm is not in use.
	 */
	int (*arm_locked)(struct pd *pd, struct pd_arm *arm, struct waiter *w, uint32_t events);
	/* After that park, without the lock, however it ended: arm and w may go away when it
	 * returns. May park. NULL: nothing to do. */
	void (*disarm)(struct pd_arm *arm);
	/* Under pd->lock, for a wait that lasts: the number may mean another file than when it was
	 * armed. 0: seen to; 1 or a negative errno: those that wait shall be woken and ask. */
	int (*renew_locked)(struct pd *pd);
	/* Under pd->lock: nobody waits, and the number is about to be given back. */
	void (*forget_locked)(struct pd *pd);

	/* As wf_poll_wait(). True: the kick has been taken away; never when timeout_ns is 0. */
	bool (*wait)(int64_t timeout_ns, struct gqueue *q);
	/* Ends the wait of whoever waits, or the next one. Not called again before it was taken. */
	void (*kick)(void);
};

extern const struct poll_backend wf_poll_epoll;

/* The backend in use, turned on if need be: 0, or -EMFILE and the like, tried again next time. */
int wf_poll_turn_on(void);
extern const struct poll_backend *wf_poll_backend;	/* constant once that has returned 0 */

#endif /* WEFT_POLL_BACKEND_H */
