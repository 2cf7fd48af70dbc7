/*
 * Valgrind's requests: a few instructions outside it, and nothing if its header was absent at build
 * time.
 */
#ifndef WEFT_OS_VALGRIND_H
#define WEFT_OS_VALGRIND_H

#include <stdbool.h>

#ifdef __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WF_VALGRIND 1
#endif
#endif

static inline bool
wf_on_valgrind(void)
{
#ifdef WF_VALGRIND
	return RUNNING_ON_VALGRIND != 0;
#else
	return false;
#endif
}

#endif /* WEFT_OS_VALGRIND_H */
