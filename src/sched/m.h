/*
 * M, a kernel thread, and what it is about to do for a goroutine that has left it. Only through
 * sched.h, whose letters say who may touch a field.
 */
#ifndef WEFT_SCHED_M_H
#define WEFT_SCHED_M_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/rand.h"
#include "sched/event.h"
#include "sched/g.h"
#include "sched/self.h"

struct p;
struct wf_timer;

/* What is to be done once a goroutine's stack has been left; see switch.c. */
enum commit_kind {
	COMMIT_NONE,
	COMMIT_PARK,		/* publish the wait, unlock, arm the timer */
	COMMIT_YIELD,		/* put it at the tail of the P's queue */
	COMMIT_GLOBAL,		/* put it on the global queue: its thread lost its P */
	COMMIT_DEAD,		/* free it and its stack */
};

struct commit {
	enum commit_kind kind;
	struct g *g;
	void (*unlock)(void *);		/* COMMIT_PARK */
	void *arg;
	struct wf_timer *timer;		/* or NULL */
	int64_t deadline;
	uint64_t ticket;
	bool cancellable;
	bool complex;			/* has a timer or can be cancelled: more than one waker */
};

/* A thread that runs a goroutine, as the monitor saw it last: debug/lint_watch.c. */
struct m_lint {
	const struct p *p;		/* m  what it held; NULL: none, as it was detached */
	uint32_t tick, picks;		/* m  schedtick and picks of p */
	int64_t detached_at;		/* m */
	uint8_t syscall;		/* m  syscall_tick */
	uint32_t still;			/* m  looks in a row at which its CPU clock stood ... */
	int64_t still_since;		/* m  ... and when that began */
	int64_t cpu, cpu_began;		/* m  its CPU clock, now and when it was new here */
	_Atomic uint8_t n_shown;	/* x  of this run, LINT_ENOUGH: no more. Set by either */
	_Atomic uint8_t is_asked;	/* x  a signal is under way; the handler takes it back */
};

/*
 * An M is a kernel thread. Made when one is needed; ends when it was idle for long, or with a
 * locked goroutine. The memory is kept for the next thread, so the note may be woken late by
 * anybody.
 */
struct m {
	struct m_gate gate;			/* x  self.h; must be first */
	struct p *p;				/* o  the P it holds, or NULL; the monitor
						 *    writes NULL when it detaches */
	struct wf_ctx g0ctx;			/* o  its own stack, where the scheduler runs */
	/*
	 * o  Where goroutines that end leave their registers, unread. Not in their own frame: under
	 * ASan it may be on a fake stack that is given back before the switch.
	 */
	struct wf_ctx gone;
	struct commit commit;			/* o  pending */
	struct wf_rand rand;			/* o */
	uint32_t lock_waits;			/* o  one in eight is measured */
	_Atomic uint8_t is_spinning;		/* w */
	_Atomic uint8_t is_resting;		/* w  asleep, or about to: nothing is half done.
						 *    trace/README.md, G0 */
	bool is_foreign;			/* c  not ours: its goroutine is bound to it */
	bool is_servant;			/* s  counted in n_foreign_servants */
	bool is_exiting;			/* o  ends when it gets to its own stack */
	bool is_main_thread;			/* c  the process's first thread: never ends */
	struct g *locked_g;			/* o  goroutine locked to this thread, or NULL */
	_Atomic uint32_t note;			/* x  futex: 1 = woken. Cleared by the owner,
						 *    set by wakers */
	struct p *next_p;			/* x  given by the waker before it sets note */
	struct p *last_p;			/* o  the P it held before it was detached */
	int64_t gave_at;			/* o  when it gave that away itself (D7), or 0 */
	struct m *idle_next, *idle_prev;	/* s  link while on sched.idle_m, free_m, or
						 *    deferred_m */
	bool is_idle;				/* s  on sched.idle_m */
	bool is_locked_idle;			/* s  locked, asleep, and counted in
						 *    n_locked_idle */
	struct m *all_next;			/* c  link of sched.all_m */
	uint32_t id;				/* c */
	_Atomic int tid;			/* w  kernel's thread id; 0 when it has ended */
	_Atomic uint8_t is_detached;		/* x  set by who takes or gives the P, cleared by
						 *    the owner: for reports */
	_Atomic int64_t detached_at;		/* x */
	_Atomic uint8_t is_hog;			/* x  detached while it computed, and its
						 *    priority lowered */
	struct g *picked;			/* o  to be run by wf_schedule before it looks
						 *    for others */
	void *sigstack;				/* o */
	struct wf_os_exceptions *exceptions;	/* o  the thread's, those of the goroutine that
						 *    runs on it; NULL without C++ */
	struct g bound_g;			/* x  the goroutine of a foreign thread */
	struct trace_m trace;			/* x  trace/trace.h */
	struct m_lint lint;			/* x */
	uintptr_t g0_lo, g0_hi;			/* c  bounds of its own stack, for sanitizers */
	void *fiber;				/* c  of its own stack: fiber.h, "told" */
#if defined(WF_TSAN) || defined(WF_ASAN)
	void *sanitizer;			/* o  TSan's fiber of its own stack, or ASan's
						 *    fake stack */
#endif
};

_Static_assert(offsetof(struct m, gate) == 0, "wf_gate() casts");

#endif /* WEFT_SCHED_M_H */
