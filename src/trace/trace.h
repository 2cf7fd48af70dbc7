/*
 * What a thread keeps for the trace, and the word that says whether there is one. The protocol
 * between those who write events and the tracer: README.md, G1-G6.
 */
#ifndef WEFT_TRACE_TRACE_H
#define WEFT_TRACE_TRACE_H

#include "trace/block.h"

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
		struct trace_table stacks, strings;
	} side[2];
	_Atomic uint64_t own_p;		/* word of the P that a foreign thread stands for */
};

enum wf_waits_heard {
	WAITS_PROFILED = 1,	/* a profile of waits is on (debug/profile.c) */
	WAITS_LINTED = 2,	/* WEFT_DEBUG=lint=1 (debug/lint.c) */
};

struct trace_state {
	/* Read at every event, written once per generation: nothing else is on its line. */
	_Alignas(WF_CACHELINE) _Atomic uint32_t gen;	/* 0 = off. G1 */
	_Atomic uint32_t first;		/* first generation of this session; set before gen */
	_Atomic uint8_t waits;		/* enum wf_waits_heard: who wants to know of each wait */
	_Atomic size_t bytes_max;	/* in full blocks: more, and the tracer is told */

	_Alignas(WF_CACHELINE) _Atomic uint32_t note;	/* futex of the tracer: 1 = it is wanted */
	_Atomic uint32_t broken;	/* events are missing: nothing more can be told */
};

extern struct trace_state wf_trace;

#endif /* WEFT_TRACE_TRACE_H */
