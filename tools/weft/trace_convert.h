/*
 * What a trace becomes. Each writes to out; whether that worked is the caller's to ask.
 */
#ifndef WEFT_TRACE_CONVERT_H
#define WEFT_TRACE_CONVERT_H

#include "trace_order.h"

#include <stdio.h>

/* Which of the times in which goroutines did not run. */
enum trace_only { ONLY_ALL, ONLY_NET, ONLY_SYNC, ONLY_SYSCALL, ONLY_SCHED };

struct trace_input {
	const uint8_t *data;
	size_t n;
	struct trace_bounds bounds;	/* it has been read once, and is right */
};

/* JSON of the Trace Event Format, for Perfetto, chrome://tracing, speedscope. */
bool trace_to_chrome(const struct trace_input *in, FILE *out, struct trace_error *error);
/* A profile of waits, for go tool pprof and others. */
bool trace_to_pprof(
    const struct trace_input *in, enum trace_only only, FILE *out, struct trace_error *error);

#endif /* WEFT_TRACE_CONVERT_H */
