/*
 * The first instructions on a new stack (x86-64). See arch/arch.h.
 */
#include "arch/arch.h"

/*
 * Entered by a jump with the carry in rdi and the function on the stack. A return address that is
 * never used is pushed; the frame above is marked as the last one, for unwinders (undefined rip)
 * and for frame-pointer walks (rbp is 0). No call: the processor counts calls to foretell
 * returns, and this one never returns. sched/README.md, "Leaving a stack".
 */
__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl wf_ctx_entry\n"
    ".hidden wf_ctx_entry\n"
    ".type wf_ctx_entry, @function\n"
    "wf_ctx_entry:\n"
    "	.cfi_startproc\n"
    "	.cfi_undefined rip\n"
    "	endbr64\n"
    "	popq %rax\n"
    "	popq %rcx\n"
    "	xorl %ebp, %ebp\n"
    "	leaq 1f(%rip), %rcx\n"
    "	pushq %rcx\n"
    "	jmpq *%rax\n"
    "1:	ud2\n"
    "	.cfi_endproc\n"
    "	.size wf_ctx_entry, .-wf_ctx_entry\n");

/* Called by a jump: what is on the stack is where the caller of the caller goes on. */
__asm__(
    ".p2align 4\n"
    ".globl wf_ctx_return_apart\n"
    ".hidden wf_ctx_return_apart\n"
    ".type wf_ctx_return_apart, @function\n"
    "wf_ctx_return_apart:\n"
    "	.cfi_startproc\n"
    "	endbr64\n"
    "	movl %edi, %eax\n"
    "	popq %rcx\n"
    "	.cfi_adjust_cfa_offset -8\n"
    "	.cfi_register rip, rcx\n"
    "	notrack jmpq *%rcx\n"
    "	.cfi_endproc\n"
    "	.size wf_ctx_return_apart, .-wf_ctx_return_apart\n");
