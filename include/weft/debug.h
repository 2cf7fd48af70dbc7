/*
 * Looking inside a running program. See also WEFT_DEBUG in weft(7).
 */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * weft_dump - write every goroutine to @fd
 *
 * Id, name, state, what it waits for and how long, and its stack, in the form of
 * Go's tracebacks. SIGQUIT does the same on stderr and ends the process. Others run
 * on meanwhile, so it is a snapshot of each goroutine, not of all at one moment.
 */
WEFT_API void weft_dump(int fd);

/**
 * weft_dump_blocked - write the goroutines that have been blocked for @ns or longer to @fd
 *
 * In the form of weft_dump(), with what each waits for, how long, and its stack: for
 * finding out who holds up a program that is not dead. Blocked means waiting for a
 * channel, a lock, a time, a descriptor or the like, or stuck in a call of the kernel that
 * weft does not know (its stack can't be read then). Times are exact to about 10 ms.
 * The caller is never among them. @fd < 0 only counts. @ns <= 0: all that are blocked now.
 *
 * Returns how many there are, or -ENOMEM. Blocks the thread while @fd is full.
 */
WEFT_API int weft_dump_blocked(int fd, int64_t ns);

/**
 * weft_set_crash_output - write the report of a crash to @fd as well
 *
 * What a panic that nobody recovers, a fatal error, or a signal that ends the process says on
 * stderr goes to @fd too, from now on; @fd is duplicated, and may be closed. -1 ends that. Go:
 * debug.SetCrashOutput.
 *
 * Returns 0 or a negative errno: -EBADF, -EMFILE.
 */
WEFT_API int weft_set_crash_output(int fd);

/** weft_version - WEFT_VERSION of the library that runs. */
WEFT_API const char *weft_version(void);

WEFT_END_DECLS

#endif /* WEFT_DEBUG_H */
