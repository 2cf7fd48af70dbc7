/*
 * Events: something that has happened, or not. Any number of goroutines and threads can wait for
 * it, alone or as a case of a select. (Go: a channel made to be closed.) Looking at an event that
 * has happened costs two loads and writes nothing, however many look.
 *
 * Zero is ready: an event of zeros has not happened, and needs no destroy call. It must not be
 * copied or moved once it has been used.
 *
 * Ordering: the set happens before every wait, or select, that returns because of it.
 */
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include <weft/chan.h>

WEFT_BEGIN_DECLS

typedef struct weft_event { uint64_t weft_priv[3]; } weft_event;

/**
 * weft_event_set - it has happened: all who wait go on, and so do all who come later
 *
 * Returns true if it was this call; false, and does nothing, if it had happened before. When a
 * wait has returned 0 nothing in weft will touch the event any more, so that whoever knows that all
 * waits have returned may free it, or leave its stack frame.
 *
 * Blocking: never. Context: goroutine or any thread; not a signal handler.
 */
WEFT_API bool weft_event_set(weft_event *e);

/**
 * weft_event_reset - it has not happened: from now on who comes waits for the next set
 *
 * Those whom the last set has released are released. Returns whether it had happened.
 */
WEFT_API bool weft_event_reset(weft_event *e);

/**
 * weft_event_wait - until it has happened
 *
 * Returns 0, -ETIMEDOUT, -ECANCELED. WEFT_NOW only asks.
 */
WEFT_API int weft_event_wait(weft_event *e, int64_t deadline);

/* A case of a select that waits for the event; its res is 0. WEFT_WAIT(NULL) is never ready. */
#define WEFT_OP_WAIT 3

#ifdef __cplusplus
static inline weft_case
weft_case_wait(weft_event *e)
{
	weft_case c = { reinterpret_cast<weft_chan *>(e), nullptr, WEFT_OP_WAIT, 0 };

	return c;
}
#define WEFT_WAIT(e) (weft_case_wait(e))
#else
#define WEFT_WAIT(e) \
	((weft_case){ (weft_chan *)(void *)(weft_event *){ e }, NULL, WEFT_OP_WAIT, 0 })
#endif

WEFT_END_DECLS

#endif /* WEFT_EVENT_H */
