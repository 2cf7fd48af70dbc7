/*
 * The execution trace: what every goroutine, thread and processor did and when, in the form of Go's
 * traces ("go 1.22"), for `go tool trace`, gotraceui, and `weft trace convert`.
 *
 * While it is off an event costs one load and a branch. WEFT_TRACE and WEFT_FLIGHT in weft(7) do
 * the same from outside.
 */
#ifndef WEFT_TRACE_H
#define WEFT_TRACE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * weft_trace_start - write a trace to @fd from now on
 * @fd: duplicated; may be closed after the call. Written by a thread of weft's own, about
 *      once a second, so a slow reader delays nobody; one that is 512 MiB behind,
 *      or has taken nothing of a non-blocking one for five seconds, ends the trace
 *
 * What is written is whole up to the last full second, even if the process is killed. When the
 * process ends by exit(3), a panic or a fatal error, the rest is written too.
 *
 * Returns 0, -EBUSY (a trace is being written already), -EBADF, -EMFILE, -ENOMEM, or -EAGAIN (no
 *   thread could be started).
 * Blocking: for a moment, never for @fd.
 */
WEFT_API int weft_trace_start(int fd);

/**
 * weft_trace_stop - end the trace, and wait until all of it is written
 *
 * Returns 0, -ESRCH (none is being written), -ENOBUFS (the reader was too slow, or memory ran out:
 *   the trace ends before), or the negative errno of the write that failed.
 * Blocking: until the descriptor has taken the rest.
 */
WEFT_API int weft_trace_stop(void);

/**
 * weft_trace_flight_start - keep the last events in memory (Go: trace.FlightRecorder)
 * @ns:    how far back, at least; <= 0: 10 s
 * @bytes: how much memory, at most; 0: 16 MiB. What is older goes first
 *
 * Can run beside weft_trace_start(). Returns 0, -EBUSY (it runs already), -ENOMEM, -EAGAIN.
 */
WEFT_API int weft_trace_flight_start(int64_t ns, size_t bytes);

/** weft_trace_flight_stop - forget them. 0, or -ESRCH: nothing is kept. */
WEFT_API int weft_trace_flight_stop(void);

/**
 * weft_trace_flight_dump - write what is kept to @fd, as a trace of its own
 *
 * Up to the call. Recording goes on. Returns 0, -ESRCH (nothing is kept), -ENOBUFS (memory ran
 * out), or the negative errno of the write that failed. Blocking: until @fd has taken it all.
 */
WEFT_API int weft_trace_flight_dump(int fd);

/** weft_trace_is_on - does anybody listen, to a trace or a flight recorder? For costly messages. */
WEFT_API int weft_trace_is_on(void);

/*
 * What the program says of itself. Strings are copied, at most 1024 bytes; with no trace on these
 * calls do nothing. They never block. Go: trace.NewTask, StartRegion, Log.
 */

/**
 * weft_trace_task_begin - a task begins: work that several goroutines do for one purpose
 * @parent: the task that it is a part of, or 0
 *
 * Returns its number, never 0, whether a trace is on or not.
 */
WEFT_API uint64_t weft_trace_task_begin(const char *name, uint64_t parent);
WEFT_API void weft_trace_task_end(uint64_t task);

/**
 * weft_trace_region_begin, weft_trace_region_end - a part of what one goroutine does
 * @task: that it belongs to, or 0
 *
 * Regions nest. The end has the task and the name of the begin, on the same goroutine.
 */
WEFT_API void weft_trace_region_begin(uint64_t task, const char *name);
WEFT_API void weft_trace_region_end(uint64_t task, const char *name);

/** weft_trace_log - a message, with a category to sort by (@key). @task: or 0. */
WEFT_API void weft_trace_log(uint64_t task, const char *key, const char *text);

WEFT_END_DECLS

#endif /* WEFT_TRACE_H */
