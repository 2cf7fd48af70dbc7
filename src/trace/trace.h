/*
 * What a thread keeps for the trace, and the word that says whether there is one. The protocol
 * between those who write events and the tracer: README.md, G1-G6.
 */
#ifndef WEFT_TRACE_TRACE_H
#define WEFT_TRACE_TRACE_H

#include "arch/arch.h"
#include "os/os.h"
#include "trace/block.h"

/* In the number of a string: it is one of labels, which are in a table of their own. */
#define TRACE_LABELS ((uint64_t)1 << 46)
/* Numbers of strings that every generation has: those of a goroutine's reasons come first. */
#define TRACE_STRINGS_OWN 64u

/*
 * Of one thread. Written by it, or by the monitor that holds the thread outside; what belongs to
 * generation N also by the tracer, between barriers (G4, G6).
 */
struct trace_m {
	_Atomic uint8_t busy;		/* G2: an event is being written */
	uint32_t said;			/* generation in which its P and its goroutine were named */
	uint32_t syscall_gen;		/* in which the begin of a call was written; 0 = in none */
	struct trace_side {		/* by generation % 2 */
		struct trace_block *events;
		struct trace_block *seen;	/* sched/event_stack.c */
		struct trace_table stacks, strings;
		struct trace_table labels;	/* texts of struct wf_tags */
	} side[2];
	_Atomic uint64_t own_p;		/* word of the P that a foreign thread stands for */
};

enum wf_waits_heard {
	WAITS_PROFILED = 1,	/* a profile of waits is on (debug/profile.c) */
	WAITS_LINTED = 2,	/* WEFT_DEBUG=lint=1 (debug/lint.c) */
};

/* How times are read off the processor's counter. */
struct trace_clock {
	uint64_t rate;			/* ns in a tick, times 2^32; 0 = the system is asked */
	int64_t base;			/* the time at which the counter was 0, by this rate */
};

struct trace_state {
	/* Read at every event, written once per generation: nothing else is on its line. */
	_Alignas(WF_CACHELINE) _Atomic uint32_t gen;	/* 0 = off. G1 */
	_Atomic uint32_t first;		/* first generation of this session; set before gen */
	_Atomic uint8_t waits;		/* enum wf_waits_heard: who wants to know of each wait */
	struct trace_clock clock;	/* constant once gen has been set */
	_Atomic size_t bytes_max;	/* in full blocks: more, and the tracer is told */

	_Alignas(WF_CACHELINE) _Atomic uint32_t note;	/* futex of the tracer: 1 = it is wanted */
	_Atomic uint32_t broken;	/* events are missing: nothing more can be told */
};

extern struct trace_state wf_trace;

__extension__ typedef unsigned __int128 wf_trace_wide;

static inline int64_t
trace_time_of(int64_t ticks)
{
	const struct trace_clock *c = &wf_trace.clock;

	return c->base + (int64_t)((wf_trace_wide)(uint64_t)ticks * (wf_trace_wide)c->rate >> 32);
}

/*
 * The time of an event, in ns; near wf_os_now(), and not to be compared with it. The processor's
 * counter takes 8 ns where clock_gettime(2) takes 18. It is not ordered with what is around it:
 * times of a batch are made to grow, and those of two threads are not relied upon (README.md).
 */
static inline int64_t
trace_now(void)
{
	return wf_likely(wf_trace.clock.rate != 0) ? trace_time_of(wf_ticks()) : wf_os_now();
}

#endif /* WEFT_TRACE_TRACE_H */
