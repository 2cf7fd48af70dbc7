/*
 * DWARF expressions, as far as call frame information uses them: PLT entries, signal trampolines,
 * functions that realign their stack, and hand-written code of libraries. See cfi.h.
 */
#include "debug/cfi.h"

#define DEPTH 16
#define STEPS_MAX 1000		/* a wrong branch must not loop for ever */

struct expr {
	struct wf_cursor r;
	const uint8_t *start;
	uintptr_t stack[DEPTH];
	unsigned n;
	bool is_bad;
};

static void
push(struct expr *e, uintptr_t v)
{
	if (e->n == DEPTH)
		e->is_bad = true;
	else
		e->stack[e->n++] = v;
}

static uintptr_t
pop(struct expr *e)
{
	if (e->n == 0) {
		e->is_bad = true;
		return 0;
	}
	return e->stack[--e->n];
}

static void
push_reg(struct expr *e, const struct wf_regs *regs, uint64_t reg, int64_t offset)
{
	if (reg >= WF_NREGS || !regs->known[reg])
		e->is_bad = true;
	else
		push(e, regs->v[reg] + (uintptr_t)offset);
}

static void
skip(struct expr *e, int64_t bytes)
{
	if (bytes < e->start - e->r.p || bytes > e->r.end - e->r.p)
		e->is_bad = true;
	else
		e->r.p += bytes;
}

/* Operators on the two topmost values. False: not one of them. */
static bool
binary(struct expr *e, unsigned op)
{
	uintptr_t b, a;

	if (op < 0x1a || op > 0x2e || op == 0x1f || op == 0x20 || op == 0x23 || op == 0x28)
		return false;
	b = pop(e);
	a = pop(e);
	switch (op) {
	case 0x1a: push(e, a & b); break;
	case 0x1c: push(e, a - b); break;
	case 0x1e: push(e, a * b); break;
	case 0x21: push(e, a | b); break;
	case 0x22: push(e, a + b); break;
	case 0x24: push(e, b < 64 ? a << b : 0); break;
	case 0x25: push(e, b < 64 ? a >> b : 0); break;
	case 0x26: push(e, (uintptr_t)((intptr_t)a >> (b < 64 ? b : 63))); break;
	case 0x27: push(e, a ^ b); break;
	case 0x29: push(e, a == b); break;
	case 0x2a: push(e, (intptr_t)a >= (intptr_t)b); break;
	case 0x2b: push(e, (intptr_t)a > (intptr_t)b); break;
	case 0x2c: push(e, (intptr_t)a <= (intptr_t)b); break;
	case 0x2d: push(e, (intptr_t)a < (intptr_t)b); break;
	case 0x2e: push(e, a != b); break;
	default: e->is_bad = true;	/* division: nobody writes it here */
	}
	return true;
}

/* Constants. False: not one of them. */
static bool
constant(struct expr *e, unsigned op)
{
	if (op >= 0x30 && op <= 0x4f) {
		push(e, op - 0x30);
		return true;
	}
	switch (op) {
	case 0x03: push(e, wf_cursor_fixed(&e->r, 8)); break;
	case 0x08: push(e, wf_cursor_fixed(&e->r, 1)); break;
	case 0x09: push(e, (uintptr_t)(intptr_t)(int8_t)wf_cursor_fixed(&e->r, 1)); break;
	case 0x0a: push(e, wf_cursor_fixed(&e->r, 2)); break;
	case 0x0b: push(e, (uintptr_t)(intptr_t)(int16_t)wf_cursor_fixed(&e->r, 2)); break;
	case 0x0c: push(e, wf_cursor_fixed(&e->r, 4)); break;
	case 0x0d: push(e, (uintptr_t)(intptr_t)(int32_t)wf_cursor_fixed(&e->r, 4)); break;
	case 0x0e:
	case 0x0f: push(e, wf_cursor_fixed(&e->r, 8)); break;
	case 0x10: push(e, wf_cursor_uleb(&e->r)); break;
	case 0x11: push(e, (uintptr_t)wf_cursor_sleb(&e->r)); break;
	default: return false;
	}
	return true;
}

static void
step(struct expr *e, const struct wf_regs *regs, struct wf_peek *mem)
{
	unsigned op = (unsigned)wf_cursor_fixed(&e->r, 1);
	uintptr_t a = 0, b;

	if (constant(e, op) || binary(e, op))
		return;
	if (op >= 0x70 && op <= 0x8f) {
		push_reg(e, regs, op - 0x70, wf_cursor_sleb(&e->r));
		return;
	}
	switch (op) {
	case 0x06:			/* deref */
		if (!wf_peek_word(mem, pop(e), &a))
			e->is_bad = true;
		push(e, a);
		break;
	case 0x12:			/* dup */
		a = pop(e);
		push(e, a);
		push(e, a);
		break;
	case 0x13:			/* drop */
		(void)pop(e);
		break;
	case 0x16:			/* swap */
		b = pop(e);
		a = pop(e);
		push(e, b);
		push(e, a);
		break;
	case 0x1f: push(e, 0 - pop(e)); break;
	case 0x20: push(e, ~pop(e)); break;
	case 0x23: push(e, pop(e) + wf_cursor_uleb(&e->r)); break;
	case 0x28:			/* bra */
		a = wf_cursor_fixed(&e->r, 2);
		if (pop(e) != 0)
			skip(e, (int16_t)a);
		break;
	case 0x2f:
		a = wf_cursor_fixed(&e->r, 2);
		skip(e, (int16_t)a);
		break;
	case 0x92:			/* bregx */
		a = wf_cursor_uleb(&e->r);
		push_reg(e, regs, a, wf_cursor_sleb(&e->r));
		break;
	case 0x96:			/* nop */
		break;
	default:
		e->is_bad = true;
	}
}

bool
wf_expr_eval(const uint8_t *expr, const uint8_t *limit, uintptr_t first,
    const struct wf_regs *regs, struct wf_peek *stack, uintptr_t *ret)
{
	struct expr e = {.r = {.p = expr, .end = limit}};
	uint64_t n = wf_cursor_uleb(&e.r);
	unsigned steps = 0;

	if (e.r.is_bad || n > (uint64_t)(e.r.end - e.r.p))
		return false;
	e.r.end = e.r.p + n;
	e.start = e.r.p;
	push(&e, first);
	while (e.r.p < e.r.end && !e.is_bad && !e.r.is_bad && steps++ < STEPS_MAX)
		step(&e, regs, stack);
	*ret = pop(&e);
	return !e.is_bad && !e.r.is_bad && steps < STEPS_MAX;
}
