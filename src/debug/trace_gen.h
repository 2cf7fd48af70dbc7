/*
 * Generations of the trace: begun, ended, and their events taken from the threads while these run
 * on. trace/README.md, G0-G6. By the tracer's thread only.
 */
#ifndef WEFT_DEBUG_TRACE_GEN_H
#define WEFT_DEBUG_TRACE_GEN_H

#include "debug/trace_out.h"

struct trace_gen {
	uint32_t gen;			/* the present one; 0 = none */
	uint32_t next;			/* never the same twice in a process */
	int64_t began;
	struct trace_out out;		/* what is known of it already */
	struct trace_batch said;	/* by the tracer, of those that nobody names */
	struct trace_out spare;		/* memory for the next */
	struct trace_names names;
};

/* Begins to listen. After it all events are written. */
void wf_trace_gen_open(struct trace_gen *t);
/*
 * Ends the generation and begins another, or, with `last`, stops listening. The bytes go to *ret.
 * False: they could not be had; give_up: threads that do not answer in that many ns (crash).
 */
bool wf_trace_gen_end(struct trace_gen *t, bool last, int64_t give_up, struct trace_out *ret);
/* The bytes of an earlier generation are no longer needed: their memory is for the present one. */
void wf_trace_gen_reuse(struct trace_gen *t, struct trace_out *bytes);
/* Stops listening and throws away what there is. */
void wf_trace_gen_drop(struct trace_gen *t);

#endif /* WEFT_DEBUG_TRACE_GEN_H */
