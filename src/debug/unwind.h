/*
 * Walking a stack, frame by frame: of a parked goroutine, of the caller, or of code that a signal
 * interrupted. Never faults, whatever the stack holds; ends at the first frame of a goroutine.
 */
#ifndef WEFT_DEBUG_UNWIND_H
#define WEFT_DEBUG_UNWIND_H

#include "arch/arch.h"
#include "debug/cfi.h"

struct wf_unwind {		/* owned by one thread at a time */
	struct wf_regs regs;	/* the frame we are at */
	bool is_exact;		/* regs.pc is where it is, not where it goes on after a call */
	bool is_first;		/* no step was made yet */
	struct wf_peek stack;
	struct wf_cfi cfi;
};

/*
 * The stack is [lo, hi); is_known: surely.
 *
 * From where a switch left (pc and the two pointers are known; the rest is in the frames).
 */
void wf_unwind_ctx(
    struct wf_unwind *u, const struct wf_ctx *c, uintptr_t lo, uintptr_t hi, bool is_known);
/* From the third argument of a signal handler. */
void wf_unwind_signal(
    struct wf_unwind *u, const void *uctx, uintptr_t lo, uintptr_t hi, bool is_known);
/* Goes to the caller's frame. False: there is none, or it can't be found. */
bool wf_unwind_next(struct wf_unwind *u);

/* The address to look up for the frame's function: inside the call, not after it. */
static inline uintptr_t
wf_unwind_lookup_pc(const struct wf_unwind *u)
{
	return u->is_exact ? u->regs.pc : u->regs.pc - 1;
}

#endif /* WEFT_DEBUG_UNWIND_H */
