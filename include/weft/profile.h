/*
 * Profiles in the form of pprof, uncompressed: `go tool pprof FILE`, speedscope, and others read
 * them.
 */
#ifndef WEFT_PROFILE_H
#define WEFT_PROFILE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * weft_profile_write - write a profile to @fd
 * @name: which:
 *
 *	"goroutine"	all goroutines, by stack, name and labels. One that runs now shows its
			function only
 *	"leak"		those that have been blocked for a minute or longer, or that nobody can
			wake, and how long. See weft_profile_leak()
 *	"block"		where goroutines waited for channels, selects and what <weft/sync.h> has,
 *			since weft_profile_block_rate() was set: how often and how long
 *	"mutex"		the same for mutexes and rwmutexes, since weft_profile_mutex_fraction(),
 *			by who waited (Go: by who unlocked)
 *
 * Returns 0, -ENOENT (no such profile), -ENOMEM, or the negative errno of the write that failed.
 * Blocking: the thread, while @fd is full. Others run on meanwhile.
 */
WEFT_API int weft_profile_write(const char *name, int fd);

/**
 * weft_profile_leak - the profile "leak" of those that have been blocked for @ns or longer, or that
 *                     nobody can wake
 * @ns: INT64_MAX: only those that nobody can wake
 *
 * Nobody can wake a goroutine that waits, without a deadline, for a NULL channel or for nothing, or
 * for an object to which nobody refers but goroutines that nobody can wake: all memory is searched
 * for its address. Whatever looks like it counts, so that some are not told; storage of the
 * program's own (a mutex, a condition variable, ...) in static or allocated memory always counts as
 * referred to. One is told in error only if a reference to its channel or scope is nowhere to be
 * seen: only in registers of a thread, be it blocked in the kernel; moved from place to place while
 * three searches pass by; or hidden (XOR, unaligned, in a file, held by a device).
 *
 * A search takes about a second for each few GB of memory; other threads run on meanwhile. After
 * 30 s, or as long as WEFT_DEBUG=leaksearch=MS says (0: there is none), it is given up. Then, where
 * /proc can't be read, beyond 1 TiB of address space, and in a libweft built with a sanitizer,
 * nobody is told by reference, and a comment in the profile says that it is incomplete.
 *
 * Times are exact to about 10 ms. The caller is never among them.
 */
WEFT_API int weft_profile_leak(int fd, int64_t ns);

/**
 * weft_profile_block_rate - record waits for the profile "block" (Go: runtime.SetBlockProfileRate)
 * @ns: waits of so long are all recorded, shorter ones by chance, with the weight that makes good
 *      for it. 1: all waits. <= 0: none from now on; what was recorded stays
 *
 * While it is on, each wait costs two looks at the clock.
 */
WEFT_API void weft_profile_block_rate(int64_t ns);

/**
 * weft_profile_mutex_fraction - record one in @n waits for locks in the profile "mutex"
 *
 * <= 0: none from now on. Returns the setting before. (Go: runtime.SetMutexProfileFraction.)
 */
WEFT_API int weft_profile_mutex_fraction(int n);

/**
 * weft_profile_cpu_start - look at what runs, @hz times per second of CPU time (Go: 100)
 * @hz: <= 0: 100; at most 1000. The kernel looks at its clock tick only, so samples may be
 *      fewer; each then stands for the time since the one before
 *
 * By SIGPROF, which must be the program's no other way; its handler stays. Samples carry the name
 * of the goroutine, if it has one, as the label "goroutine", and its labels (<weft/label.h>).
 *
 * Returns 0, -EBUSY (it is on, or the program has a handler for SIGPROF), -ENOMEM.
 */
WEFT_API int weft_profile_cpu_start(int hz);

/**
 * weft_profile_cpu_stop - end it, and write the profile to @fd
 *
 * Returns 0, -ESRCH (none was started), -ENOMEM, or the negative errno of the write that failed.
 * Blocking: the thread, while @fd is full.
 */
WEFT_API int weft_profile_cpu_stop(int fd);

WEFT_END_DECLS

#endif /* WEFT_PROFILE_H */
