/*
 * What depends on the processor: the stack switch, the thread-local read, the counter of time. One
 * header per processor implements the contract below; this picks it.
 *
 *   struct wf_ctx     where a stack was left: stack pointer, frame pointer, resume address.
 *   wf_ctx_switch     leaves for another stack. Everything but those three registers
 *                     is declared clobbered, so the compiler saves what is live and nothing
 *                     else. It jumps: a return onto another stack mispredicts (16 ns for 3).
 *                     carry goes along: it is returned by the switch that resumes `to`.
 *   wf_ctx_init       a context that begins in fn(carry) on an empty stack, with the
 *                     alignment the ABI wants and a zero frame pointer and return address, so
 *                     that unwinders stop. fn must not return.
 *   wf_ctx_return_apart
 *                     returns r. `return wf_ctx_return_apart(r);` leaves the caller by a jump, for
 *                     where the processor would foretell a return wrongly (sched/self.h).
 *   wf_ctx_prefetch   asks the caches for the lines of a stack where it was left. Reads *c unseen
 *                     by sanitizers: another thread may write it, and any address will do.
 *   wf_self           the thread's struct m, read afresh at every call: compilers keep the
 *                     address of a thread-local across calls, and it would be another
 *                     thread's after a switch.
 *   wf_ticks          the processor's counter of time, where wf_os_has_ticks() says that it is
 *                     one. Not ordered with what stands before and after it.
 *
 * Not saved: floating-point control words and the signal mask; they belong to the thread.
 */
#ifndef WEFT_ARCH_ARCH_H
#define WEFT_ARCH_ARCH_H

#include "base/compiler.h"

struct m;

#if defined(__x86_64__)
#include "arch/x86_64/switch.h"
#elif defined(__aarch64__)
#include "arch/aarch64/switch.h"
#else
#error "weft runs on x86-64 and aarch64"
#endif

#endif /* WEFT_ARCH_ARCH_H */
