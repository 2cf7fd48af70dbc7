/*
 * What the flight recorder keeps: generations, oldest first, as far as they are not too old and not
 * too much. By the tracer's thread only.
 */
#ifndef WEFT_DEBUG_TRACE_KEPT_H
#define WEFT_DEBUG_TRACE_KEPT_H

#include "debug/trace_out.h"

struct trace_kept {
	struct trace_out *oldest, *newest;
	size_t bytes;
	int64_t max_ns;			/* what is older than the newest by more is forgotten */
	size_t max_bytes;
};

/* Takes the bytes of a generation over, and forgets old ones. The newest always stays. */
void wf_trace_kept_add(struct trace_kept *k, struct trace_out *bytes);
void wf_trace_kept_drop(struct trace_kept *k);
/* All of it as a trace. 0 or -errno. Blocks as fd does. */
int wf_trace_kept_write(const struct trace_kept *k, int fd);

#endif /* WEFT_DEBUG_TRACE_KEPT_H */
