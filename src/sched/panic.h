/*
 * How the user's faults end: panics, which a weft_try() can recover, and fatal errors,
 * which nothing can. (The runtime's own faults: wf_throw() in base/assert.h.)
 *
 * Called between wf_enter() and wf_leave(), with no lock held.
 */
#ifndef WEFT_SCHED_PANIC_H
#define WEFT_SCHED_PANIC_H

#include "base/compiler.h"
#include "sched/g.h"

/* Recoverable: runs defers, then the innermost weft_try() returns 1; without one, prints "panic: ..." and exits with 2. */
WF_NORETURN WF_COLD void wf_panic(const char *fmt, ...) WF_PRINTF(1, 2);

/* Not recoverable: prints "fatal error: ...", the goroutine and its stack, and exits with 2. */
WF_NORETURN WF_COLD void wf_fatal(const char *fmt, ...) WF_PRINTF(1, 2);

/* wf_fatal() with the dump of all goroutines instead of only the caller's. */
WF_NORETURN WF_COLD void wf_fatal_all(const char *fmt, ...) WF_PRINTF(1, 2);

/*
 * Runs all deferred calls of the calling goroutine, last first, outside the runtime (leaves, enters
 * again). For the end of a goroutine and for weft_goexit.
 */
void wf_run_defers(struct g *g);

#endif /* WEFT_SCHED_PANIC_H */
