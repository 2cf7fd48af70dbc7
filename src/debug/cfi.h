/*
 * From a frame to its caller's, by the compiler's own description (DWARF call frame information
 * in .eh_frame, found through .eh_frame_hdr). No libgcc, no malloc, no lock.
 *
 * Sources: "DWARF Debugging Information Format, Version 5", 6.4 and 2.5; "Linux Standard Base
 * Core", 10.6 (Exception Frames); "DWARF for the Arm 64-bit Architecture", 4.
 */
#ifndef WEFT_DEBUG_CFI_H
#define WEFT_DEBUG_CFI_H

#include "arch/regs.h"
#include "debug/peek.h"
#include "os/os.h"

/* The registers of one frame, as far as they are known. */
struct wf_regs {
	uintptr_t pc;			/* where it goes on */
	uintptr_t v[WF_NREGS];
	bool known[WF_NREGS];
};

enum wf_rule_kind {
	RULE_SAME,			/* as in the callee. Zero */
	RULE_UNDEFINED,			/* lost; of the return address: there is no caller */
	RULE_OFFSET,			/* saved at CFA + n */
	RULE_VAL_OFFSET,		/* is CFA + n */
	RULE_REGISTER,			/* is in register n */
	RULE_EXPR,			/* saved where expr says */
	RULE_VAL_EXPR,			/* is what expr says */
};

struct wf_rule {
	enum wf_rule_kind kind;
	int64_t n;
	const uint8_t *expr;		/* its length, then it */
};

/* How to get from one place in a function to its caller. */
struct wf_row {
	struct wf_rule cfa;		/* RULE_REGISTER: cfa_reg plus n; else RULE_VAL_EXPR */
	uint64_t cfa_reg;
	struct wf_rule regs[WF_NREGS];
	bool is_ra_signed;		/* aarch64: the return address carries a signature */
};

#define WF_CFI_REMEMBER 4

/*
 * A row that is simple, as nearly all are, in short: all that the next step from the same place
 * needs. Goroutines wait in few places, and recursion returns to one. Right as long as no
 * code is unloaded: a plan lives as long as one dump.
 */
#define WF_PLAN_REGS 9
#define WF_CFI_PLANS 128

struct wf_plan {
	uintptr_t pc;			/* 0: empty */
	int64_t cfa_offset;
	uint8_t cfa_reg;
	uint8_t ra;			/* the return address's register; it is among regs */
	uint8_t n;			/* registers that were saved; the others are the callee's */
	uint8_t regs[WF_PLAN_REGS];
	int32_t offsets[WF_PLAN_REGS];	/* where, from the CFA */
	bool is_ra_signed;
};

struct wf_cfi {				/* work space, too big for a signal stack */
	struct wf_plan plans[WF_CFI_PLANS];
	struct wf_row row, initial;
	struct wf_row remembered[WF_CFI_REMEMBER];
	unsigned n_remembered;
};

/* Forgets what was learnt of earlier walks: before the first, and when code may have changed. */
void wf_cfi_init(struct wf_cfi *c);

enum wf_cfi_result {
	CFI_OK,				/* regs are the caller's */
	CFI_END,			/* the outermost frame */
	CFI_NONE,			/* nothing describes this pc */
	CFI_BAD,			/* the description or the stack makes no sense */
};

/*
 * Changes *regs, which are of a frame in elf, into its caller's. lookup_pc is regs->pc, or one less
 * for a return address: that belongs to the call, which may be the last instruction of its
 * function. ret_is_signal: the frame is a signal handler's trampoline, so that the caller's pc is
 * exact.
 */
enum wf_cfi_result wf_cfi_step(struct wf_cfi *c, const struct wf_os_elf *elf, uintptr_t lookup_pc,
    struct wf_regs *regs, struct wf_peek *stack, bool *ret_is_signal);

/* ---- cfi_read.c: for cfi.c ---- */

/* Bytes of a description. Reading past the end sets is_bad and gives zeros. */
struct wf_cursor {
	const uint8_t *p, *end;
	bool is_bad;
};

uint64_t wf_cursor_fixed(struct wf_cursor *r, unsigned bytes);
uint64_t wf_cursor_uleb(struct wf_cursor *r);
int64_t wf_cursor_sleb(struct wf_cursor *r);
/* A pointer in encoding enc (DW_EH_PE_...); data is the base for "datarel". */
uint64_t wf_cursor_pointer(struct wf_cursor *r, uint8_t enc, uintptr_t data);

/* What .eh_frame says of one function. */
struct wf_fde {
	uintptr_t start, end;		/* its code */
	const uint8_t *code, *code_end;		/* instructions */
	const uint8_t *cie_code, *cie_code_end;	/* those of all functions of the object file */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;			/* the return address's register */
	uint8_t enc;			/* of pointers */
	bool is_signal;
};

bool wf_fde_find(const struct wf_os_elf *elf, uintptr_t pc, struct wf_fde *ret);

/* ---- cfi_expr.c: for cfi.c ---- */

/* Evaluates a DWARF expression; `first` is pushed before. */
bool wf_expr_eval(const uint8_t *expr, const uint8_t *limit, uintptr_t first,
    const struct wf_regs *regs, struct wf_peek *stack, uintptr_t *ret);

#endif /* WEFT_DEBUG_CFI_H */
