/*
 * Words of a stack that may change, shrink or vanish while we read it: reads go through the
 * kernel, which answers "fault" instead of delivering one, in windows of a few KB.
 */
#ifndef WEFT_DEBUG_PEEK_H
#define WEFT_DEBUG_PEEK_H

#include "base/compiler.h"

struct wf_peek {		/* owned by one thread at a time */
	uintptr_t lo, hi;	/* nothing outside is read */
	bool is_known;		/* all of it is memory; else it is a guess */
	uintptr_t at;		/* the window: n bytes from here */
	size_t n;
	_Alignas(16) unsigned char window[4096];
};

void wf_peek_init(struct wf_peek *p, uintptr_t lo, uintptr_t hi, bool is_known);
/* The word at addr, if it is there. */
bool wf_peek_word(struct wf_peek *p, uintptr_t addr, uintptr_t *ret);
/* n bytes from anywhere to `to`; direct says that a plain read can't fault either, for systems
 * that forbid the other. Returns whether they were there. */
bool wf_peek_copy(void *to, uintptr_t from, size_t n, bool direct);

#endif /* WEFT_DEBUG_PEEK_H */
