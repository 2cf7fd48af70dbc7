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

/** weft_version - WEFT_VERSION of the library that runs. */
WEFT_API const char *weft_version(void);

WEFT_END_DECLS

#endif /* WEFT_DEBUG_H */
