/*
 * What goroutines did, from a trace: its events, merged into an order in which they can have
 * happened. A pure function of the bytes.
 */
#ifndef WEFT_TRACE_ORDER_H
#define WEFT_TRACE_ORDER_H

#include "trace_file.h"

#define TRACE_NO_P UINT64_MAX

/* A goroutine was in one state for that long. Times are nanoseconds of the trace's clock. */
struct trace_span {
	uint64_t g;
	enum trace_g state;
	uint64_t p;			/* TRACE_NO_P: it has none */
	int64_t from, to;
	struct trace_text function;	/* that it began with; "" = not known yet */
	struct trace_text reason;	/* of a wait, or why it stopped */
	const struct trace_stack *stack;	/* where it began; empty: not known */
	uint64_t by;			/* who readied it; 0: nobody, or not known */
};

enum trace_mark_kind { MARK_TASK_BEGIN, MARK_TASK_END, MARK_REGION_BEGIN, MARK_REGION_END,
	MARK_LOG };

/* What the program said. */
struct trace_mark {
	enum trace_mark_kind kind;
	uint64_t g, task, parent;
	int64_t at;
	struct trace_text name, text;	/* of a log: key and text */
};

/* Who is told. Any may be NULL. Frames and texts are valid until trace_read() returns. */
struct trace_sink {
	void *arg;
	void (*span)(void *arg, const struct trace_span *span);
	void (*mark)(void *arg, const struct trace_mark *mark);
	/* It has ended, or the trace has: the function that it began with, "" = not known. */
	void (*goroutine)(void *arg, uint64_t g, struct trace_text function);
};

/* When a trace begins and ends. */
struct trace_bounds {
	int64_t from, to;
	uint64_t tries;			/* of events: how much work the order was */
};

/*
 * Reads all of it. False: it is no trace, not whole, or says something that can't have happened;
 * *error says what. The sink has been told what came before. Time is n log n, memory a few times n.
 */
bool trace_read(const uint8_t *data, size_t n, const struct trace_sink *sink,
    struct trace_bounds *ret_bounds, struct trace_error *error);

#endif /* WEFT_TRACE_ORDER_H */
