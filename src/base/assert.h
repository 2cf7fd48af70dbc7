/*
 * Assertions in two grades. WF_CHECK is always on: state machines, ownership.
 * WF_ASSERT is for debug builds. Both end in wf_throw(), the runtime's own fault,
 * as distinct from wf_fatal() and panics, which are the user's.
 */
#ifndef WEFT_BASE_ASSERT_H
#define WEFT_BASE_ASSERT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

/* Defined in debug/crash.c: prints "fatal error: weft: ..." with a dump, exits with 2. */
WF_NORETURN WF_COLD void wf_throw(const char *what, const char *file, int line);

#define WF_CHECK(cond) \
	do { \
		if (wf_unlikely(!(cond))) \
			wf_throw(#cond, __FILE__, __LINE__); \
	} while (0)

#ifdef WEFT_DEBUG_BUILD
#define WF_ASSERT(cond) WF_CHECK(cond)
#else
#define WF_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

/*
 * A named point between two steps of a protocol. Tests stop a thread here to hold a
 * window open (test/lib/hold.h); nothing in release builds.
 */
#ifdef WEFT_DEBUG_BUILD
extern void (*wf_point_hook)(const char *name);
#define WF_POINT(name) \
	do { \
		if (wf_unlikely(wf_point_hook != NULL)) \
			wf_point_hook(name); \
	} while (0)
#else
#define WF_POINT(name) ((void)0)
#endif

/*
 * Shall a choice that is free be made the other way this time? Once in `n`, when WEFT_PERTURB is
 * set (debug/perturb.c); never in release builds, and in the explorer, which makes all choices.
 */
#if defined(WEFT_DEBUG_BUILD) && !defined(WF_NO_EVENTS)
extern bool (*wf_perturb_hook)(unsigned n);
#define WF_PERTURB(n) (wf_unlikely(wf_perturb_hook != NULL) && wf_perturb_hook(n))
#else
#define WF_PERTURB(n) false
#endif

#endif /* WEFT_BASE_ASSERT_H */
