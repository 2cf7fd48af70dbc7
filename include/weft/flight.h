/*
 * Flights: many ask for the same at the same time, one asks for all. The first call for a key
 * starts the work; calls for it that come while it lasts wait for its result. (Go: singleflight.)
 *
 * Zero is ready, and needs no destroy call: a weft_flight without work in flight holds no memory.
 * It must not be copied or moved once it has been used, and lives until its work has ended.
 */
#ifndef WEFT_FLIGHT_H
#define WEFT_FLIGHT_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_flight { uint64_t weft_priv[2]; } weft_flight;

/**
 * weft_flight_do - the result of @fn, called once for all who ask for @key at the same time
 * @key:  @key_size bytes, compared; borrowed for the call
 * @fn:   runs in a goroutine of its own in the root scope, so that no deadline and no
 *        cancellation of one who asks ends it for the others; NULL is fatal
 * @data: @data_size bytes, the question and the answer: those of the first caller are copied,
 *        @fn works on the copy, and when it has ended the copy goes to every caller. All
 *        calls for one key give the same size
 *
 * Returns what @fn returned, with @data filled; or, with @data untouched, -ETIMEDOUT or
 *   -ECANCELED (this caller's deadline or scope; @fn goes on), -ENOMEM, -EAGAIN (as weft_go(); @fn
 *   was not called). Who may not wait at all starts nothing.
 * A panic in @fn becomes a panic of every caller that waits, and one in @fn's goroutine when none
 * does; weft_goexit() in @fn ends every caller's goroutine. (As in Go.)
 *
 * Blocking: parks until @fn has ended or @deadline. Context: goroutine or any thread; not a signal
 * handler. Ordering: @fn's work happens before the return.
 */
WEFT_API int weft_flight_do(weft_flight *f, const void *key, size_t key_size,
    int (*fn)(void *data), void *data, size_t data_size, int64_t deadline);

/**
 * weft_flight_forget - let the next call for @key start anew
 *
 * Those that wait already get the result of the work that they wait for. Returns whether there
 * was any.
 */
WEFT_API bool weft_flight_forget(weft_flight *f, const void *key, size_t key_size);

WEFT_END_DECLS

#endif /* WEFT_FLIGHT_H */
