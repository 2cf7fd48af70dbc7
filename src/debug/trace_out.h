/*
 * A generation of the trace as bytes: memory that grows, batches, and what is put into them. By the
 * tracer's thread only. No malloc: it must work while the process crashes.
 */
#ifndef WEFT_DEBUG_TRACE_OUT_H
#define WEFT_DEBUG_TRACE_OUT_H

#include "debug/symtab.h"
#include "trace/block.h"
#include "trace/encode.h"

/* Bytes in memory of their own. Zero is empty. */
struct trace_out {
	struct trace_out *next;		/* for who keeps several */
	uint8_t *data;
	size_t n, cap;
	int64_t at;			/* when it was finished */
	bool failed;			/* no memory: what is in it is not whole */
};

void wf_trace_out_free(struct trace_out *o);
/* A place for n more bytes, or NULL. The caller adds to o->n what it has used. */
uint8_t *wf_trace_out_room(struct trace_out *o, size_t n);

/* One batch. */
void wf_trace_out_batch(struct trace_out *o, uint64_t gen, uint64_t thread, int64_t time,
    const uint8_t *data, size_t n);

/* Batches of many small things, cut into as many as need be. Zeroed but for the first four. */
struct trace_batch {
	struct trace_out *out;
	uint64_t gen;
	uint64_t thread;
	uint8_t first;			/* what each batch begins with; 0: nothing */
	int64_t time, last;		/* for timed events */
	size_t n;
	uint8_t data[48 << 10];
};

/* A place for up to n bytes, n <= 16 KiB; the caller adds to b->n. */
uint8_t *wf_trace_batch_room(struct trace_batch *b, size_t n);
void wf_trace_batch_flush(struct trace_batch *b);

/* Names of what was met, and the numbers that the trace has given them. */
struct trace_names {
	struct wf_symtab syms;
	struct trace_table strings;
	struct trace_batch batch;
};

/* The part of a stack that is not the runtime's own: *n is cut at its end, and it begins at the
 * result. pcs are return addresses. */
uint32_t wf_trace_stack_trim(struct wf_symtab *syms, const uintptr_t *pcs, uint32_t *n);
/* All stacks of a thread's table, with the functions' names: to out, and their names to *names. */
void wf_trace_out_stacks(struct trace_out *out, struct trace_names *names, uint64_t gen,
    const struct trace_table *t, uint32_t m_id);
/* A thread's strings; m_id TRACE_M_MASK is the tracer's own. */
void wf_trace_out_strings(struct trace_out *out, struct trace_names *names, uint64_t gen,
    const struct trace_table *t, uint32_t m_id);
/* A thread's labels, as text. */
void wf_trace_out_labels(struct trace_out *out, struct trace_names *names, uint64_t gen,
    const struct trace_table *t, uint32_t m_id);
/* Strings that every generation has, and the clock. */
void wf_trace_out_fixed(struct trace_out *out, struct trace_names *names, uint64_t gen);
/* A thread's events, oldest block first. */
void wf_trace_out_events(struct trace_out *out, struct trace_block *newest);

#endif /* WEFT_DEBUG_TRACE_OUT_H */
