/*
 * What the scheduler needs from a poller. poll/ implements it; a simulation may too.
 */
#ifndef WEFT_SCHED_POLL_H
#define WEFT_SCHED_POLL_H

#include "sched/g.h"

/* Goroutines that wait in the poller: while there are any the program is not dead. Counted
 * down only after they were made runnable. */
int wf_poll_nwaiters(void);

/* Is there anything to ask? False until the first descriptor is registered. */
bool wf_poll_is_on(void);

/*
 * Puts goroutines whose descriptors are ready on q, claimed, for the caller to ready; then
 * wf_poll_done(n). timeout_ns: 0 only looks; < 0 waits for ever. Turns the poller on if it
 * was not. May return early. Any number of threads may call it.
 */
void wf_poll_wait(int64_t timeout_ns, struct gqueue *q);
void wf_poll_done(uint32_t n);

/* Makes the thread that waits in wf_poll_wait(), or the next that will, return. */
void wf_poll_wake(void);

/*
 * Asks the kernel again about descriptors that have waited a while: their number may have
 * been closed and opened again without weft's knowledge. The monitor calls it now and then;
 * returns whether there may be more to ask later.
 */
bool wf_poll_revalidate(void);

/* Is there anything for it to ask? Waits that began since may have to be looked at. */
bool wf_poll_wants_look(void);

#endif /* WEFT_SCHED_POLL_H */
