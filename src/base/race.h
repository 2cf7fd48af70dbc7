/*
 * What ThreadSanitizer is told about weft in a program that was built with it when weft was not:
 * then it finds the races of the program, and must know what weft orders. docs/races.md is for
 * those who write such programs.
 *
 * The sanitizer is asked for by weak symbols, at run time. In a program without it each place
 * below is one comparison with memory that nobody writes. In a weft that is built with it, the
 * compiler tells it everything, and these say nothing.
 *
 * Told are the edges that a user may count on, where the public function begins or ends, by
 * addresses in the object: to be released, before it lets others go on; acquired, when it has
 * waited for them. Of channels, where the element moves (chan/told.h). Not told are the runtime's
 * own locks: an edge through them orders what is not ordered for the user, and hides a race. So
 * what the runtime allocates in one goroutine and frees in another is hidden instead, because the
 * sanitizer sees the calls of malloc and memcpy.
 */
#ifndef WEFT_BASE_RACE_H
#define WEFT_BASE_RACE_H

#include "base/compiler.h"

#if !defined(WF_TSAN) && !defined(WF_NO_RACES)

void __tsan_acquire(void *at) __attribute__((weak));
void __tsan_release(void *at) __attribute__((weak));
void __tsan_ignore_thread_begin(void) __attribute__((weak));
void __tsan_ignore_thread_end(void) __attribute__((weak));
void __tsan_read_range(void *at, long bytes) __attribute__((weak));
void __tsan_write_range(void *at, long bytes) __attribute__((weak));
void *__tsan_get_current_fiber(void) __attribute__((weak));
void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void *fiber) __attribute__((weak));
void __tsan_switch_to_fiber(void *fiber, unsigned flags) __attribute__((weak));

/* Is there anybody to be told? */
static WF_ALWAYS_INLINE bool
wf_race_told(void)
{
	return wf_unlikely(__tsan_acquire != NULL);
}

#else
#define wf_race_told() false
#define __tsan_acquire(at) ((void)(at))
#define __tsan_release(at) ((void)(at))
#define __tsan_ignore_thread_begin() ((void)0)
#define __tsan_ignore_thread_end() ((void)0)
#define __tsan_read_range(at, bytes) ((void)(at), (void)(bytes))
#define __tsan_write_range(at, bytes) ((void)(at), (void)(bytes))
#endif

/* Does ThreadSanitizer look at this process, whoever was built with it? */
static WF_ALWAYS_INLINE bool
wf_race_is_watched(void)
{
#ifdef WF_TSAN
	return true;
#else
	return wf_race_told();
#endif
}

/* What this goroutine has done happens before what others do after they acquire `at`. */
static WF_ALWAYS_INLINE void
wf_race_release(const void *at)
{
	if (wf_race_told())
		__tsan_release((void *)(uintptr_t)at);
}

static WF_ALWAYS_INLINE void
wf_race_acquire(const void *at)
{
	if (wf_race_told())
		__tsan_acquire((void *)(uintptr_t)at);
}

/* Between them nothing that this goroutine does is looked at. It must not park. */
static WF_ALWAYS_INLINE void
wf_race_hide(void)
{
	if (wf_race_told())
		__tsan_ignore_thread_begin();
}

static WF_ALWAYS_INLINE void
wf_race_show(void)
{
	if (wf_race_told())
		__tsan_ignore_thread_end();
}

/* Memory of the user that weft reads or writes in its name. */
static WF_ALWAYS_INLINE void
wf_race_reads(const void *at, size_t bytes)
{
	if (wf_race_told())
		__tsan_read_range((void *)(uintptr_t)at, (long)bytes);
}

static WF_ALWAYS_INLINE void
wf_race_writes(void *at, size_t bytes)
{
	if (wf_race_told())
		__tsan_write_range(at, (long)bytes);
}

/*
 * Bytes: who reads comes after who has written, to whatever descriptor. The sanitizer does the same
 * for those calls that it knows (read(2), recvmsg(2)); this is for the others. In os/fd.c.
 */
extern char wf_race_bytes;

#endif /* WEFT_BASE_RACE_H */
