/*
 * Signals as values in channels (Go: os/signal). A handler of weft's notes the number, and a
 * goroutine sends it on: receiving is ordinary code, without the limits of a handler.
 */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <weft/chan.h>

WEFT_BEGIN_DECLS

/**
 * weft_signal_notify - send each @signo that arrives to @c, as an int
 * @c: of elements of sizeof(int); kept (referenced) until it is stopped
 *
 * Never blocks: when @c is full, the signal is dropped for it, so give it a buffer; 1 is
 * enough for a signal that means "stop". Signals of one number that come close together may
 * arrive as one, as they do in the kernel. A channel may have many signals, a signal many
 * channels. A handler that the program had installed before is called as well. What was the
 * default, or ignored, is not any more, until weft_signal_stop() or weft_signal_reset().
 *
 * A program that has once asked for signals waits for them: it is not reported as dead
 * when all its goroutines wait, as in Go.
 *
 * Returns 0, -EINVAL (no such signal, or SIGKILL, SIGSTOP, and SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * which belong to the code that runs; elements of another size), -ENOMEM, -EMFILE. Panics for
 * NULL.
 */
WEFT_API int weft_signal_notify(weft_chan *c, int signo);

/**
 * weft_signal_stop - send no more signals to @c
 *
 * When it returns, nothing more comes; what had arrived until then was sent. Signals that no
 * other channel wants are again what they were before the first notify. One that arrives just
 * then goes to a channel or has that effect: none is lost.
 */
WEFT_API void weft_signal_stop(weft_chan *c);

/** weft_signal_ignore - from now on @signo is ignored, and goes to no channel. 0 or -EINVAL. */
WEFT_API int weft_signal_ignore(int signo);
/** weft_signal_reset - undo all that notify and ignore did to @signo, or, with 0, to all. 0 or
 * -EINVAL. */
WEFT_API int weft_signal_reset(int signo);
/** weft_signal_ignored - is @signo ignored now, by whoever? */
WEFT_API bool weft_signal_ignored(int signo);

WEFT_END_DECLS

#endif /* WEFT_SIGNAL_H */
