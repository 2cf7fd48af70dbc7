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

/* Recoverable: runs defers, then the innermost weft_try() returns 1; without one, prints
 * "panic: ..." and exits with 2. */
WF_NORETURN WF_COLD void wf_panic(const char *fmt, ...) WF_PRINTF(1, 2);

/*
 * The same for misuse of an object: text is what weft_try() gets and what is printed first; then,
 * in brackets, which object it is and what to do instead.
 */
WF_NORETURN WF_COLD void wf_panic_help(const char *text, const char *help, ...) WF_PRINTF(2, 3);

/* Not recoverable: prints "fatal error: ...", the goroutine and its stack, and exits with 2. */
WF_NORETURN WF_COLD void wf_fatal(const char *fmt, ...) WF_PRINTF(1, 2);

/* The same for misuse, as wf_panic_help(). */
WF_NORETURN WF_COLD void wf_fatal_help(const char *text, const char *help, ...) WF_PRINTF(2, 3);

/* wf_fatal() with the dump of all goroutines instead of only the caller's. */
WF_NORETURN WF_COLD void wf_fatal_all(const char *fmt, ...) WF_PRINTF(1, 2);

/*
 * A deferred call. Owned by its goroutine: on g->defers, or on its way from there to being called.
 * The memory is malloc'ed by weft_defer(), or the frame of a function of ours that is_borrowed.
 */
struct wf_defer {
	struct wf_defer *next;	/* made before */
	void (*fn)(void *);	/* called outside the runtime */
	void *arg;
	bool is_borrowed;
};

/* As weft_defer(), with the caller's memory: d lives until it was called or removed. */
void wf_defer_push(struct wf_defer *d, void (*fn)(void *), void *arg);
/* Memory of malloc's, which is free()d by who calls it. */
void wf_defer_push_own(struct wf_defer *d, void (*fn)(void *), void *arg);
/* Takes d, which has not been called, off again. There may be newer ones. */
void wf_defer_remove(struct wf_defer *d);
/* In a deferred call: does it run because its goroutine ends (true), or because of a panic? */
bool wf_is_ending(const struct g *g);

/*
 * Runs all deferred calls of the calling goroutine, last first, outside the runtime (leaves, enters
 * again). For the end of a goroutine and for weft_goexit.
 */
void wf_run_defers(struct g *g);

#endif /* WEFT_SCHED_PANIC_H */
