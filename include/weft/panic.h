/*
 * Panic, recovery and deferred calls.
 */
#ifndef WEFT_PANIC_H
#define WEFT_PANIC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * weft_panic - the program has a bug: stop here
 *
 * Runs the goroutine's deferred calls up to the innermost weft_try(), which then
 * returns 1. Without one it prints "panic: ...", the goroutine and its stack, and
 * ends the process with status 2. The message is cut at 1023 bytes.
 */
WEFT_API WEFT_NORETURN void weft_panic(const char *fmt, ...) WEFT_PRINTF(1, 2);

/**
 * weft_try - call @fn and recover a panic in it
 * @msg: if not NULL, filled with the panic's message, NUL-terminated, when 1 is returned
 *
 * Returns 0 when @fn returned, 1 when it panicked. Deferred calls made in @fn have
 * run in either case. As with longjmp(3), locals changed in between must be volatile.
 */
WEFT_API int weft_try(void (*fn)(void *), void *arg, char *msg, size_t msg_size);

/**
 * weft_defer - call @fn later, last first
 *
 * When the goroutine ends, when a panic passes the enclosing weft_try(), when that
 * weft_try() returns, or on weft_goexit(). Out of memory is a panic.
 */
WEFT_API void weft_defer(void (*fn)(void *), void *arg);

WEFT_END_DECLS

#endif /* WEFT_PANIC_H */
