/*
 * The tracer: the thread that ends generations, gives them to a descriptor and to the flight
 * recorder, and does what callers ask for. trace/README.md, "The tracer".
 */
#ifndef WEFT_DEBUG_TRACER_H
#define WEFT_DEBUG_TRACER_H

#include "base/compiler.h"

enum tracer_want {
	TRACER_START,		/* fd */
	TRACER_STOP,
	TRACER_FLIGHT_START,	/* ns, bytes */
	TRACER_FLIGHT_STOP,
	TRACER_FLIGHT_DUMP,	/* fd */
};

struct tracer_call {
	enum tracer_want want;
	int fd;
	int64_t ns;
	size_t bytes;
	const char *head;	/* TRACER_START: what is to stand before the trace, if it starts */
	size_t head_bytes;
};

/* Has it done. Blocks the thread. */
int wf_tracer_call(const struct tracer_call *call);
/* weft_trace_start(), and those bytes before the trace. */
int wf_trace_start_after(int fd, const char *head, size_t n);

/* The process dies: what is known goes out, within seconds. From any state, also a handler's. */
void wf_tracer_crash(void);

/* The flight recorder's file, where it goes when the process dies and on SIGUSR2; copied. */
void wf_tracer_flight_file(const char *path);
/* Has it written there, soon. Signal-safe. */
void wf_tracer_flight_signal(void);

#endif /* WEFT_DEBUG_TRACER_H */
