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
