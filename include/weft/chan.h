/*
 * Channels and select, as in Go: values and waiters are served first come, first
 * served. A NULL channel is legal and never ready. Every call may be made from a
 * goroutine or from any thread; none from a signal handler.
 *
 * Ordering: a send happens before the receive of its element returns; on an
 * unbuffered channel the receive happens before the send returns; a close happens
 * before a receive that returns 0 because of it.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_chan weft_chan;

/**
 * weft_chan_new - make a channel
 * @elem_size: bytes of one element; 0 is allowed
 * @cap:       elements it buffers; 0 makes each send wait for its receiver
 *
 * Returns the channel with one reference, or NULL when out of memory or when
 * @elem_size * @cap overflows.
 */
WEFT_API weft_chan *weft_chan_new(size_t elem_size, size_t cap);

/** weft_chan_ref - one reference more; returns @c. */
WEFT_API weft_chan *weft_chan_ref(weft_chan *c);

/** weft_chan_unref - one reference less; the last frees it. NULL is allowed. */
WEFT_API void weft_chan_unref(weft_chan *c);

/**
 * weft_chan_send - send a copy of one element
 * @elem:     read for elem_size bytes; may be NULL if that is 0
 * @deadline: absolute, see weft/base.h
 *
 * Returns 0 sent, -EPIPE closed (also when closed while waiting), -ETIMEDOUT,
 * -ECANCELED. Unless it returns 0 nobody received the element. A NULL channel
 * waits until the deadline.
 */
WEFT_API int weft_chan_send(weft_chan *c, const void *elem, int64_t deadline);

/**
 * weft_chan_recv - receive one element
 * @elem: written for elem_size bytes, or NULL to drop the element
 *
 * Returns 1 received, 0 closed and drained (@elem zeroed), -ETIMEDOUT, -ECANCELED
 * (@elem untouched, and no element lost). A NULL channel waits until the deadline.
 */
WEFT_API int weft_chan_recv(weft_chan *c, void *elem, int64_t deadline);

/**
 * weft_chan_close - no more sends
 *
 * Wakes all receivers (0), then all senders (-EPIPE). Panics on a closed channel
 * ("close of closed channel") and on NULL ("close of nil channel").
 */
WEFT_API void weft_chan_close(weft_chan *c);

/** weft_chan_len - elements buffered now; NULL: 0. */
WEFT_API size_t weft_chan_len(const weft_chan *c);

/** weft_chan_cap - elements it can buffer; NULL: 0. */
WEFT_API size_t weft_chan_cap(const weft_chan *c);

/* One case of a select. Fill it with WEFT_SEND, WEFT_RECV, or WEFT_WAIT (weft/event.h). */
typedef struct weft_case {
	weft_chan *chan;	/* NULL: never ready */
	void *elem;		/* as in the plain call */
	int op;			/* WEFT_OP_SEND, WEFT_OP_RECV or WEFT_OP_WAIT */
	int res;		/* set for the case that went */
} weft_case;

#define WEFT_OP_SEND 1
#define WEFT_OP_RECV 2

#ifdef __cplusplus
#define WEFT_SEND(c, p) \
	(weft_case{ (c), const_cast<void *>(static_cast<const void *>(p)), WEFT_OP_SEND, 0 })
#define WEFT_RECV(c, p) (weft_case{ (c), static_cast<void *>(p), WEFT_OP_RECV, 0 })
#else
#define WEFT_SEND(c, p) ((weft_case){ (c), (void *)(uintptr_t)(const void *)(p), WEFT_OP_SEND, 0 })
#define WEFT_RECV(c, p) ((weft_case){ (c), (p), WEFT_OP_RECV, 0 })
#endif

/**
 * weft_select - wait until one of several channel operations can go, and do it
 * @cases: @n of them; the same channel may stand in several, also both ways
 *
 * Returns the index of the case that went, its res set to what the plain call
 * would have returned (a closed channel is ready: 0 to receive, -EPIPE to send);
 * or -ETIMEDOUT, -ECANCELED, then no case went. Of several ready cases one is picked
 * uniformly at random. WEFT_NOW is Go's default case. @n = 0 waits for the
 * deadline. -ENOMEM only for more than 64 cases, when memory is out.
 */
WEFT_API int weft_select(weft_case *cases, size_t n, int64_t deadline);

WEFT_END_DECLS

#endif /* WEFT_CHAN_H */
