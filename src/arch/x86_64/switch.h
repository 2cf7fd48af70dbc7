/*
 * The switch on x86-64 (System V ABI). Contract: arch/arch.h.
 *
 * rbp is saved by hand because gcc does not accept it as a clobber; rbx and r12-r15 are
 * clobbers, which makes the compiler save them in the function that switches. The
 * vector registers are all caller-saved, and the functions that contain a switch are
 * never inlined, so nothing is live in them.
 */
#ifndef WEFT_ARCH_X86_64_SWITCH_H
#define WEFT_ARCH_X86_64_SWITCH_H

#include <stdint.h>
#include "base/compiler.h"

struct wf_ctx {
	uintptr_t sp, fp, pc;
};

/* In switch.c: calls the function in r12 with rdi, on an empty stack. */
void wf_ctx_entry(void) __attribute__((visibility("hidden")));

static WF_ALWAYS_INLINE void
wf_ctx_init(struct wf_ctx *c, void (*fn)(void *carry), uintptr_t stack_top)
{
	uintptr_t *sp = (uintptr_t *)(stack_top & ~(uintptr_t)15);

	/* wf_ctx_entry pops fn. Two words below keep the alignment. */
	*--sp = 0;
	*--sp = (uintptr_t)fn;
	c->sp = (uintptr_t)sp;
	c->fp = 0;
	c->pc = (uintptr_t)wf_ctx_entry;
}

static WF_ALWAYS_INLINE void *
wf_ctx_switch(struct wf_ctx *from, const struct wf_ctx *to, void *carry)
{
	const struct wf_ctx *t = to;
	struct wf_ctx *f = from;

	__asm__ volatile(
	    "leaq 1f(%%rip), %%rax\n\t"
	    "movq %%rsp, 0(%[f])\n\t"
	    "movq %%rbp, 8(%[f])\n\t"
	    "movq %%rax, 16(%[f])\n\t"
	    "movq 0(%[t]), %%rsp\n\t"
	    "movq 8(%[t]), %%rbp\n\t"
	    "jmpq *16(%[t])\n"
	    "1:\n\t"
	    "endbr64"
	    : [f] "+S"(f), [t] "+d"(t), "+D"(carry)
	    :
	    : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	      "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
	      "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
#ifdef __AVX512F__
	      "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
	      "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31",
	      "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#endif
	      "memory", "cc");
	return carry;
}

/* In entry.c. */
int wf_ctx_return_apart(int r) __attribute__((visibility("hidden"), const));

static WF_ALWAYS_INLINE void
wf_ctx_prefetch(const struct wf_ctx *c)
{
	uintptr_t sp;

	__asm__ volatile(
	    "movq 0(%1), %0\n\t"
	    "prefetcht0 0(%0)\n\t"
	    "prefetcht0 64(%0)\n\t"
	    "prefetcht0 128(%0)\n\t"
	    "prefetcht0 192(%0)"
	    : "=&r"(sp)
	    : "r"(c));
}

static WF_ALWAYS_INLINE struct m *
wf_self(void)
{
	struct m *m;

	__asm__ volatile("movq wf_tls_m@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(m));
	return m;
}

static WF_ALWAYS_INLINE int64_t
wf_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (int64_t)((uint64_t)high << 32 | low);
}

/* The caller's frame, for stack walks that begin here. */
static WF_ALWAYS_INLINE void
wf_ctx_here(struct wf_ctx *c)
{
	__asm__ volatile(
	    "leaq 1f(%%rip), %%rax\n\t"
	    "movq %%rsp, 0(%0)\n\t"
	    "movq %%rbp, 8(%0)\n\t"
	    "movq %%rax, 16(%0)\n"
	    "1:"
	    :
	    : "r"(c)
	    : "rax", "memory");
}

#endif /* WEFT_ARCH_X86_64_SWITCH_H */
