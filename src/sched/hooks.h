/*
 * What the scheduler calls of debug/, which lies above it: reports and the death of the process.
 * debug/ implements all of it. Nothing here parks.
 */
#ifndef WEFT_SCHED_HOOKS_H
#define WEFT_SCHED_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"
#include "sched/g.h"

struct sigaction;
struct wf_stack;

/* WEFT_DEBUG, parsed. Zero is what an empty variable gives. Constant after boot. */
struct wf_debug {
	int64_t schedtrace_ms;	/* print a line every so often; 0 = never */
	int64_t trace_period_ns;	/* a generation of the trace; 0 = as Go, a second */
	int64_t leak_search_ms;	/* the profile "leak" searches memory for at most so long */
	bool nomembarrier;	/* act as on a kernel without membarrier(2) */
	bool scheddetail;	/* with it: every P, M and G too */
	bool poller;		/* say which poller is used, and why */
	bool lint;		/* report what is likely to be a mistake */
	bool crash;		/* die of SIGABRT or of the signal, for a core file */
	bool no_traceback_labels;	/* dumps without labels, as Go before 1.27 */
	char guard[12];		/* stack guards: "", "madvise", "mprotect", "canary" */
};

/* Parses text, which may be NULL. What means nothing gives a line on stderr. */
void wf_debug_parse(const char *text, struct wf_debug *ret);

/* Installs the handlers of fatal signals. Once, at boot; d lives on. */
void wf_crash_init(const struct wf_debug *d);

/* Is it one of those handlers? */
bool wf_crash_owns(const struct sigaction *sa);

/* The lines of WEFT_DEBUG=schedtrace, to stderr. Under sched.lock. */
void wf_schedtrace_print(int64_t ms_since_start, bool detail);

/* What WEFT_TRACE and WEFT_FLIGHT ask for. Once, at the end of boot. */
void wf_trace_init(void);
/*
 * The other way round. The caller is a thread of debug/, which wakes nobody: it says so once it is
 * there, for before it would stand for a thread of the program's own, one that is about to wake
 * somebody, and all goroutines would count as asleep for good; and before it ends.
 */
void wf_service_begins(void);
void wf_service_ends(void);
/*
 * It will call weft until it ends: from now on it is counted as a foreign one that brings no work.
 */
void wf_servant_enters(void);
/* WEFT_HTTP, once the runtime has begun: the debug endpoint. A line on stderr if it can't be. */
void wf_serve_from_env(void);

/*
 * The caller's goroutine is about to wait, still on its stack, perhaps with an object's lock held,
 * and somebody wants to know. Returns the time for wf_profile_waited(), or 0: no need to call that.
 */
int64_t wf_wait_begins(enum wf_wait_reason reason);
/* The caller's goroutine has waited since then, for that (enum wf_wait_reason). */
void wf_profile_waited(enum wf_wait_reason reason, int64_t since);

/*
 * WEFT_DEBUG=lint=1: debug/lint.c, lint_watch.c.
 *
 *   wf_lint_init     once, at the end of boot; nothing else is called unless d->lint
 *   wf_lint_wait     the caller's goroutine is about to wait
 *   wf_lint_end      the caller's goroutine g has ended, and is at the top of its stack
 *   wf_lint_stack    s is to be the stack of a goroutine that has not run, and nobody's now
 *   wf_lint_procs    there are n processors from now on, because the program wants it
 *   wf_lint_round    each round of the monitor, at most WF_LINT_ROUND_NS apart
 */
#define WF_LINT_ROUND_NS 2500000
void wf_lint_init(const struct wf_debug *d);
void wf_lint_wait(enum wf_wait_reason reason);
void wf_lint_end(struct g *g);
void wf_lint_stack(const struct wf_stack *s);
void wf_lint_procs(uint32_t n);
void wf_lint_round(int64_t now);
/* Is it the handler of lints? */
bool wf_lint_owns(const struct sigaction *sa);

/* Every goroutine, the caller's first. Takes no lock of the scheduler. */
void wf_dump_all(int fd);

/* What was wrong: help, or NULL, says what it was about and what to do instead. */
struct wf_crash_text {
	const char *text;
	const char *help;
};

/*
 * The end of the process because of the user's fault (sched/panic.c calls these; others call
 * wf_panic() and wf_fatal()). Traces begin at the frame that goes on at from_pc; 0: at the first
 * public function.
 *
 *   wf_crash_panic   "panic: ..." for each of the n texts, oldest first: the later ones came up
 *                    in calls that the earlier ones had deferred
 *   wf_crash_fatal   "fatal error: ...", and with all set every other goroutine too
 *   wf_crash_abort   the same, but the process dies of SIGABRT
 */
WF_NORETURN WF_COLD void wf_crash_panic(
    const struct wf_crash_text *texts, size_t n, uintptr_t from_pc);
WF_NORETURN WF_COLD void wf_crash_fatal(
    const char *text, const char *help, bool all, uintptr_t from_pc);
WF_NORETURN WF_COLD void wf_crash_abort(const char *text);

/* With AddressSanitizer only: the process's end names the stacks that hold memory. */
void wf_leaks_init(void);

#endif /* WEFT_SCHED_HOOKS_H */
