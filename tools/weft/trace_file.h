/*
 * A trace in memory, one generation after the other: its batches, strings and stacks. The format
 * is in src/trace/README.md. Strict: what src/trace/encode.h does not name is refused. Knows
 * nothing of what events mean.
 */
#ifndef WEFT_TRACE_FILE_H
#define WEFT_TRACE_FILE_H

#include "trace/encode.h"

/* What is wrong with a trace, and at which byte. */
struct trace_error {
	size_t at;
	char what[160];
};

struct trace_text {		/* points into the trace */
	const char *s;
	size_t n;
};

struct trace_frame {
	uint64_t pc, line;
	struct trace_text function, file;
};

struct trace_stack {		/* innermost frame first */
	uint64_t id;
	size_t n;
	const struct trace_frame *frames;
};

/* Payload that has not been read yet. */
struct trace_bytes {
	const uint8_t *at, *end;
};

struct trace_batch {
	uint64_t thread;
	uint64_t time;			/* as the trace counts */
	struct trace_bytes bytes;
};

struct trace_string {
	uint64_t id;
	struct trace_text text;
};

/* What grows. */
struct trace_vector {
	void *items;
	size_t n, cap;
};

struct trace_file {
	const uint8_t *data;
	size_t n, at;			/* at: of the next generation */
	struct trace_error *error;
	struct trace_vector frames;	/* blocks of them: stacks stay valid until the end */

	/* Of the generation. */
	uint64_t gen;
	uint64_t frequency;		/* units per second */
	struct trace_vector batches;	/* of events; by thread, then as in the trace */
	struct trace_vector strings, stacks;	/* by id */
};

/* The trace stays the caller's, and as it is. False: it is none. */
bool trace_file_open(
    struct trace_file *f, const uint8_t *data, size_t n, struct trace_error *error);
/* 1: a generation; 0: there is no more; -1: error. */
int trace_file_next(struct trace_file *f);
void trace_file_close(struct trace_file *f);

/* In this generation. NULL: there is none of that number; 0 is always there, and empty. */
const struct trace_stack *trace_file_stack(const struct trace_file *f, uint64_t id);
const struct trace_text *trace_file_text(const struct trace_file *f, uint64_t id);

/* False: the bytes end before, or it is more than 64 bits. */
bool trace_varint(struct trace_bytes *b, uint64_t *ret);
/* Room for one more item: NULL, with an error. */
void *trace_vector_add(struct trace_vector *v, size_t item, struct trace_error *error);
/* Says what is wrong, unless something has been said already. Returns false. */
bool trace_error(struct trace_error *error, size_t at, const char *fmt, ...) WF_PRINTF(3, 4);

#endif /* WEFT_TRACE_FILE_H */
