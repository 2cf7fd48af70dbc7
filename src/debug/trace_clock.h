/*
 * Sets the trace's clock (trace/trace.h, trace_now()).
 */
#ifndef WEFT_DEBUG_TRACE_CLOCK_H
#define WEFT_DEBUG_TRACE_CLOCK_H

/*
 * Before the first event of a session, by the tracer's thread, while nobody listens. The first time
 * in a process it takes 2 ms where the processor's counter is used: how fast that goes has to be
 * measured. Whether it is used is asked for each session.
 */
void wf_trace_clock_start(void);

#endif /* WEFT_DEBUG_TRACE_CLOCK_H */
