/*
 * Walking a stack. See unwind.h; the rules of one step are in cfi.c.
 *
 * Where the compiler left no description, the frame pointer is tried: code that has one keeps a
 * chain of (caller's frame pointer, return address). Each step must move up the stack, so a walk
 * through garbage ends.
 */
#include "debug/unwind.h"

#include <string.h>

void
wf_unwind_ctx(
    struct wf_unwind *u, const struct wf_ctx *c, uintptr_t lo, uintptr_t hi, bool is_known)
{
	memset(&u->regs, 0, sizeof(u->regs));
	u->regs.pc = c->pc;
	u->regs.v[WF_REG_SP] = c->sp;
	u->regs.v[WF_REG_FP] = c->fp;
	u->regs.known[WF_REG_SP] = u->regs.known[WF_REG_FP] = true;
	u->is_exact = true;
	u->is_first = true;
	wf_peek_init(&u->stack, lo, hi, is_known);
}

void
wf_unwind_signal(
    struct wf_unwind *u, const void *uctx, uintptr_t lo, uintptr_t hi, bool is_known)
{
	memset(&u->regs, 0, sizeof(u->regs));
	u->regs.pc = wf_os_sigregs(uctx, u->regs.v, WF_NREGS);
	memset(u->regs.known, 1, sizeof(u->regs.known));
	u->is_exact = true;
	u->is_first = true;
	wf_peek_init(&u->stack, lo, hi, is_known);
}

/* The caller by the chain of frame pointers. */
static bool
by_frame_pointer(struct wf_unwind *u)
{
	uintptr_t fp = u->regs.v[WF_REG_FP], sp = u->regs.v[WF_REG_SP], up, pc;

	if (!u->regs.known[WF_REG_FP] || fp < sp || fp % sizeof(fp) != 0)
		return false;
	if (!wf_peek_word(&u->stack, fp, &up) || !wf_peek_word(&u->stack, fp + sizeof(fp), &pc))
		return false;
	memset(&u->regs, 0, sizeof(u->regs));
	u->regs.pc = pc;
	u->regs.v[WF_REG_FP] = up;
	u->regs.v[WF_REG_SP] = fp + 2 * sizeof(fp);
	u->regs.known[WF_REG_FP] = u->regs.known[WF_REG_SP] = true;
	return true;
}

/* The caller of code that is nowhere: somebody called a bad pointer, and only that happened. */
static bool
by_call(struct wf_unwind *u)
{
	if (!u->is_first || !u->is_exact)
		return false;
#if WF_RA_ON_STACK
	if (!wf_peek_word(&u->stack, u->regs.v[WF_REG_SP], &u->regs.pc))
		return false;
	u->regs.v[WF_REG_SP] += sizeof(uintptr_t);
	return true;
#else
	u->regs.pc = u->regs.v[WF_REG_RA];
	return u->regs.known[WF_REG_RA];
#endif
}

bool
wf_unwind_next(struct wf_unwind *u)
{
	uintptr_t sp = u->regs.v[WF_REG_SP], pc = u->regs.pc;
	enum wf_cfi_result r = CFI_NONE;
	bool is_signal = false, ok;
	struct wf_os_elf elf;

	if (!wf_os_elf_find(wf_unwind_lookup_pc(u), &elf)) {
		ok = by_call(u);
	} else {
		r = wf_cfi_step(
		    &u->cfi, &elf, wf_unwind_lookup_pc(u), &u->regs, &u->stack, &is_signal);
		ok = r == CFI_OK || (r != CFI_END && by_frame_pointer(u));
	}
	/* A leaf that has pushed nothing may share its caller's stack pointer; nobody else. */
	if (!ok || u->regs.pc == 0 || u->regs.v[WF_REG_SP] < sp)
		return false;
	if (u->regs.v[WF_REG_SP] == sp && (!u->is_first || u->regs.pc == pc))
		return false;
	u->is_exact = is_signal;
	u->is_first = false;
	return true;
}
