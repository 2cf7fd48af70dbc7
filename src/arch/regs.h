/*
 * Registers as DWARF numbers them on each processor, for stack walks and crash reports.
 */
#ifndef WEFT_ARCH_REGS_H
#define WEFT_ARCH_REGS_H

#if defined(__x86_64__)

/* rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 ... r15; 16 is the return address. */
#define WF_NREGS 17
#define WF_REG_FP 6
#define WF_REG_SP 7
#define WF_REG_RA 16
/* A call pushes the return address, so a function that has done nothing has it at its sp. */
#define WF_RA_ON_STACK 1
#define WF_REG_NAMES \
	{"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8 ", "r9 ", "r10", "r11", \
	    "r12", "r13", "r14", "r15", "rip"}

#elif defined(__aarch64__)

/* x0 ... x30, sp, pc. */
#define WF_NREGS 33
#define WF_REG_FP 29
#define WF_REG_SP 31
#define WF_REG_RA 30
#define WF_RA_ON_STACK 0
#define WF_REG_NAMES \
	{"r0 ", "r1 ", "r2 ", "r3 ", "r4 ", "r5 ", "r6 ", "r7 ", "r8 ", "r9 ", "r10", "r11", \
	    "r12", "r13", "r14", "r15", "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", \
	    "r24", "r25", "r26", "r27", "r28", "r29", "lr ", "sp ", "pc "}

#endif

#endif /* WEFT_ARCH_REGS_H */
