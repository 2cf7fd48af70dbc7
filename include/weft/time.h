/*
 * The clock, sleeping, and timers. All time is int64_t nanoseconds of
 * CLOCK_MONOTONIC, which wall-clock changes do not move and which stops while the
 * machine is suspended.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/chan.h>

WEFT_BEGIN_DECLS

/** weft_now - the time. */
WEFT_API int64_t weft_now(void);

/** weft_in - the deadline @ns from now; saturates at WEFT_FOREVER, never negative. */
WEFT_API int64_t weft_in(int64_t ns);

/** weft_sleep - 0 after @ns at least, or -ECANCELED; @ns <= 0 returns 0 at once. */
WEFT_API int weft_sleep(int64_t ns);

typedef struct weft_timer weft_timer;

/**
 * weft_timer_new - make and start a timer
 * @deadline: when it is due; past = at once, WEFT_FOREVER = never
 * @period:   > 0: due again each @period ns, keeping phase, missed beats dropped;
 *            0: once
 * @fn:       run in a goroutine of its own (in the root scope) when due; NULL: the
 *            due time (int64_t) is sent to weft_timer_chan() instead, dropped if one
 *            is still unread
 *
 * Returns NULL when out of memory. A negative @period panics.
 */
WEFT_API weft_timer *weft_timer_new(int64_t deadline, int64_t period, void (*fn)(void *),
    void *arg);

/**
 * weft_timer_chan - borrowed until weft_timer_free(); NULL for a timer with a function
 *
 * Its len and cap are 0. Who may still use it while another goroutine frees the timer takes
 * a reference.
 */
WEFT_API weft_chan *weft_timer_chan(weft_timer *t);

/**
 * weft_timer_stop - true if it was pending, or due but not yet received
 *
 * After it returns, no value of before can be received (Go 1.23's rule). Does not
 * wait for a running @fn.
 */
WEFT_API bool weft_timer_stop(weft_timer *t);
/** weft_timer_reset - stop, then start with a new deadline and period; as stop. */
WEFT_API bool weft_timer_reset(weft_timer *t, int64_t deadline, int64_t period);
/**
 * weft_timer_free - legal in every state, pending too. NULL is allowed.
 *
 * As stop; then the channel is closed: a receiver that waits on it gets 0.
 */
WEFT_API void weft_timer_free(weft_timer *t);

WEFT_END_DECLS

#endif /* WEFT_TIME_H */
