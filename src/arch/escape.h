/*
 * A call that can be left from any depth: what weft_try() is made of.
 *
 * Like setjmp(3), but the function that sets the target does not return twice: seen from the
 * compiler wf_ctx_call() is an ordinary call, so nothing is volatile, no builtin is needed
 * (clang has __builtin_setjmp on x86-64 only), and its frame is described for unwinders.
 */
#ifndef WEFT_ARCH_ESCAPE_H
#define WEFT_ARCH_ESCAPE_H

#include "arch/arch.h"

/*
 * Calls fn(arg) and returns 0. While fn runs, wf_ctx_switch() to *c, on the same stack, abandons
 * whatever runs above and makes this call return 1 instead. *c is not valid afterwards.
 */
int wf_ctx_call(struct wf_ctx *c, void (*fn)(void *), void *arg)
    __attribute__((visibility("hidden")));

#endif /* WEFT_ARCH_ESCAPE_H */
