/*
 * The state of all goroutines, Ps and threads of a trace, and what each event makes of it. Knows no
 * order: it says of an event whether it can be the next.
 */
#ifndef WEFT_TRACE_STATE_H
#define WEFT_TRACE_STATE_H

#include "idmap.h"
#include "trace_order.h"

/* An event. */
struct trace_step {
	uint8_t type;			/* enum trace_event */
	uint8_t n_args, n_texts, n_stacks;
	uint64_t args[4];
	uint64_t thread;
	int64_t ns;
	size_t at;			/* where it is in the trace */
	struct trace_text texts[2];
	const struct trace_stack *first_stack, *stack;	/* of those it has: the first, the last */
};

enum step_verdict {
	STEP_DONE,
	STEP_NOT_YET,			/* something of another thread must come before */
	STEP_NEVER,
};

/*
 * What an event waits for, and what another changes: the same three numbers. An event that waits
 * can't happen before its one is named as changed, so that nothing else need try it again; and no
 * three are named more than a few times in a generation.
 */
struct trace_wait {
	uint64_t what;			/* enum trace_what: no padding, it is the key of a map */
	uint64_t id, seq;
};

enum trace_what {
	WAIT_THREAD,			/* it is given a goroutine, or loses its P; seq 0 */
	WAIT_GO,			/* it can be started or woken, by its event number seq */
	WAIT_PROC,			/* it can be started or stolen, by its event number seq */
};

struct trace_state {
	const struct trace_sink *sink;
	struct trace_error *error;
	uint64_t gen;
	int64_t from, to;
	struct idmap g_ids, p_ids, m_ids;
	struct trace_vector gs, ps, ms;		/* by their numbers in the maps */
	struct trace_wait wait;			/* of the last event, with STEP_NOT_YET */
	struct trace_wait changed[2];		/* by the last event, with STEP_DONE */
	size_t n_changed;
};

/* Nothing is known at that time, with which the trace begins. */
void trace_state_begin(struct trace_state *t, int64_t from);
/* With STEP_DONE the event has happened; otherwise nothing has changed. */
enum step_verdict trace_state_apply(struct trace_state *t, const struct trace_step *s);
/* The trace is over: the sink is told how long the last states were. */
void trace_state_end(struct trace_state *t);
void trace_state_free(struct trace_state *t);

/* A status: what something was all through the generation, until the first event of it. */
bool trace_step_is_status(const struct trace_step *s);
const char *trace_step_name(const struct trace_step *s);

#endif /* WEFT_TRACE_STATE_H */
