/*
 * The switch on aarch64 (AAPCS64). Contract: arch/arch.h.
 *
 * x29 is saved by hand; x19-x28 and the low halves of v8-v15 are clobbers, so the compiler
 * saves what is live. So are x30, and x18, which on Linux is a temporary like any other.
 */
#ifndef WEFT_ARCH_AARCH64_SWITCH_H
#define WEFT_ARCH_AARCH64_SWITCH_H

#include <stdint.h>
#include "base/compiler.h"

struct wf_ctx {
	uintptr_t sp, fp, pc;
};

/* In entry.c: calls the function on top of the stack with x0, on an empty stack. */
void wf_ctx_entry(void) __attribute__((visibility("hidden")));

static WF_ALWAYS_INLINE void
wf_ctx_init(struct wf_ctx *c, void (*fn)(void *carry), uintptr_t stack_top)
{
	uintptr_t *sp = (uintptr_t *)(stack_top & ~(uintptr_t)15);

	*--sp = 0;
	*--sp = (uintptr_t)fn;
	c->sp = (uintptr_t)sp;
	c->fp = 0;
	c->pc = (uintptr_t)wf_ctx_entry;
}

static WF_ALWAYS_INLINE void *
wf_ctx_switch(struct wf_ctx *from, const struct wf_ctx *to, void *carry)
{
	register struct wf_ctx *f __asm__("x1") = from;
	register const struct wf_ctx *t __asm__("x2") = to;
	register void *c __asm__("x0") = carry;

	/* The jump goes through x16, which BTI lets land on "bti j" and on "bti c". */
	__asm__ volatile(
	    "adr x3, 1f\n\t"
	    "mov x4, sp\n\t"
	    "stp x4, x29, [%[f]]\n\t"
	    "str x3, [%[f], #16]\n\t"
	    "ldp x4, x29, [%[t]]\n\t"
	    "ldr x16, [%[t], #16]\n\t"
	    "mov sp, x4\n\t"
	    "br x16\n"
	    "1:\n\t"
	    "hint #36" /* bti j */
	    : [f] "+r"(f), [t] "+r"(t), "+r"(c)
	    :
	    : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
	      "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
	      "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
	      "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",
	      "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
	return c;
}

/* Where the place jumped to has to be marked (BTI) there is no other way than to return. */
static WF_ALWAYS_INLINE int
wf_ctx_return_apart(int r)
{
	return r;
}

static WF_ALWAYS_INLINE void
wf_ctx_prefetch(const struct wf_ctx *c)
{
	uintptr_t sp;

	__asm__ volatile(
	    "ldr %0, [%1]\n\t"
	    "prfm pldl1keep, [%0]\n\t"
	    "prfm pldl1keep, [%0, #64]\n\t"
	    "prfm pldl1keep, [%0, #128]\n\t"
	    "prfm pldl1keep, [%0, #192]"
	    : "=&r"(sp)
	    : "r"(c));
}

static WF_ALWAYS_INLINE struct m *
wf_self(void)
{
	struct m *m;
	uintptr_t tp;

	__asm__ volatile(
	    "mrs %1, tpidr_el0\n\t"
	    "adrp %0, :gottprel:wf_tls_m\n\t"
	    "ldr %0, [%0, :gottprel_lo12:wf_tls_m]\n\t"
	    "ldr %0, [%1, %0]"
	    : "=&r"(m), "=&r"(tp));
	return m;
}

static WF_ALWAYS_INLINE int64_t
wf_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return (int64_t)ticks;
}

/* The caller's frame, for stack walks that begin here. */
static WF_ALWAYS_INLINE void
wf_ctx_here(struct wf_ctx *c)
{
	__asm__ volatile(
	    "adr x3, 1f\n\t"
	    "mov x4, sp\n\t"
	    "stp x4, x29, [%0]\n\t"
	    "str x3, [%0, #16]\n"
	    "1:"
	    :
	    : "r"(c)
	    : "x3", "x4", "memory");
}

#endif /* WEFT_ARCH_AARCH64_SWITCH_H */
