/*
 * The first instructions on a new stack (aarch64). See arch/arch.h.
 */
#include "arch/arch.h"

/* Entered by a jump with the carry in x0 and the function on the stack; see x86_64/entry.c. */
__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl wf_ctx_entry\n"
    ".hidden wf_ctx_entry\n"
    ".type wf_ctx_entry, %function\n"
    "wf_ctx_entry:\n"
    "	.cfi_startproc\n"
    "	.cfi_undefined x30\n"
    "	hint #36\n" /* bti j: entered by a jump */
    "	ldp x16, x2, [sp], #16\n"
    "	mov x29, #0\n"
    "	adr x30, 1f\n"
    "	br x16\n" /* may land on "bti c" */
    "1:	brk #1\n"
    "	.cfi_endproc\n"
    "	.size wf_ctx_entry, .-wf_ctx_entry\n");
