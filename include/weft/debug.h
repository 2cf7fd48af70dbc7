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

/**
 * weft_debug_serve - answer HTTP requests about this process at @address
 *
 * "unix:/path" makes a socket that only this user can open (mode 0600). "127.0.0.1:6060", or
 * "[::1]:0" for any port, listens on this machine only, and wants a token, from WEFT_HTTP_TOKEN or
 * made up: where to look is said on stderr. Other addresses are refused. What there is to see:
 * weft(7). Threads of its own answer, so it does when no goroutine can run. WEFT_HTTP=@address
 * does the same without a line of code. Once in a process.
 *
 * Returns 0, or a negative errno: -EINVAL, -EACCES (an address of the network, or a
 * Unix one without a file), -EALREADY, those of bind(2).
 */
WEFT_API int weft_debug_serve(const char *address);

/** weft_version - WEFT_VERSION of the library that runs. */
WEFT_API const char *weft_version(void);

/**
 * weft_debug_layout - where debuggers find the goroutines of this process, or of its core file
 *
 * Not for programs: gdb's script and weft(1) read it from outside, without debug information.
 * Names are only ever added; a change that old readers can't follow counts version up.
 */
typedef struct weft_debug_field {
	char name[24];			/* "g.id"; "" is the last */
	uint32_t offset;		/* in bytes; or a value, if size is 0 */
	uint32_t size;			/* in bytes */
} weft_debug_field;

typedef struct weft_debug_layout_table {
	char magic[8];			/* "weftdbg" */
	uint32_t version;		/* 1 */
	uint32_t size;			/* sizeof(weft_debug_layout_table) of the library */
	uint64_t n_reasons;		/* strings at reasons */
	const void *sched;		/* fields "sched." */
	const void *chunks;		/* of goroutines: a pointer to the first, fields "chunk." */
	const void *reasons;		/* pointers to what each wait reason is called, by number */
	const void *entry;		/* the code at the bottom of each goroutine's stack */
	weft_debug_field fields[96];
} weft_debug_layout_table;

WEFT_API extern const weft_debug_layout_table weft_debug_layout;

WEFT_END_DECLS

#endif /* WEFT_DEBUG_H */
