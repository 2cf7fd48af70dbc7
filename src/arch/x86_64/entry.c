/*
 * The first instructions on a new stack (x86-64). See arch/arch.h.
 */
#include "arch/arch.h"

/*
 * Entered by a jump with the carry in rdi and the function on the stack. The call pushes
 * a return address that is never used; the frame above is marked as the last one, for
 * unwinders (undefined rip) and for frame-pointer walks (rbp is 0).
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
    "	callq *%rax\n"
    "	ud2\n"
    "	.cfi_endproc\n"
    "	.size wf_ctx_entry, .-wf_ctx_entry\n");
