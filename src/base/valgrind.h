/*
 * Which memory is a stack, for valgrind: without being told, memcheck takes a switch for one huge
 * frame, and calls what the other goroutines have there uninitialised. Done once per slot, not per
 * switch. A few instructions outside valgrind; nothing if its header was absent at build time.
 */
#ifndef WEFT_BASE_VALGRIND_H
#define WEFT_BASE_VALGRIND_H

#include <stdbool.h>
#include <stdint.h>

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

/* Usable addresses from lo to hi are a stack from now on. Returns its id for wf_valgrind_forget. */
static inline uint32_t
wf_valgrind_stack(uintptr_t lo, uintptr_t hi)
{
#ifdef WF_VALGRIND
	return (uint32_t)VALGRIND_STACK_REGISTER(lo, hi - 1);
#else
	(void)lo;
	(void)hi;
	return 0;
#endif
}

static inline void
wf_valgrind_forget(uint32_t id)
{
#ifdef WF_VALGRIND
	VALGRIND_STACK_DEREGISTER(id);
#else
	(void)id;
#endif
}

#endif /* WEFT_BASE_VALGRIND_H */
