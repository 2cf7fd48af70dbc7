/*
 * Running call frame instructions and applying what they say. See cfi.h.
 */
#include "debug/cfi.h"

#include <string.h>

/* A program under way. */
struct run {
	struct wf_cfi *c;
	const struct wf_fde *f;
	struct wf_cursor r;
	uintptr_t loc;		/* the row is for code from here on */
	bool is_bad;
};

static void
rule(struct run *x, uint64_t reg, enum wf_rule_kind kind, int64_t n, const uint8_t *expr)
{
	/* Registers that we do not follow (vectors) are described too. */
	if (reg < WF_NREGS)
		x->c->row.regs[reg] = (struct wf_rule){.kind = kind, .n = n, .expr = expr};
}

static void
restore(struct run *x, uint64_t reg)
{
	if (reg < WF_NREGS)
		x->c->row.regs[reg] = x->c->initial.regs[reg];
}

static void
def_cfa(struct run *x, uint64_t reg, int64_t offset)
{
	if (reg >= WF_NREGS)
		x->is_bad = true;
	x->c->row.cfa = (struct wf_rule){.kind = RULE_REGISTER, .n = offset};
	x->c->row.cfa_reg = reg;
}

/* The expression that stands here; the cursor goes past it. */
static const uint8_t *
expression(struct run *x)
{
	const uint8_t *e = x->r.p;
	uint64_t n = wf_cursor_uleb(&x->r);

	if (x->r.is_bad || n > (uint64_t)(x->r.end - x->r.p))
		x->is_bad = true;
	else
		x->r.p += n;
	return e;
}

static void
remember(struct run *x)
{
	if (x->c->n_remembered == WF_CFI_REMEMBER)
		x->is_bad = true;
	else
		x->c->remembered[x->c->n_remembered++] = x->c->row;
}

static void
recall(struct run *x)
{
	if (x->c->n_remembered == 0)
		x->is_bad = true;
	else
		x->c->row = x->c->remembered[--x->c->n_remembered];
}

/* Instructions about registers. False: not one of them. */
static bool
register_op(struct run *x, unsigned op)
{
	struct wf_cursor *r = &x->r;
	int64_t align = x->f->data_align;
	uint64_t reg;

	if ((op >= 0x05 && op <= 0x09) || op == 0x10 || op == 0x11 || (op >= 0x14 && op <= 0x16) ||
	    op == 0x2f)
		reg = wf_cursor_uleb(r);
	else
		return false;
	switch (op) {
	case 0x05: rule(x, reg, RULE_OFFSET, (int64_t)wf_cursor_uleb(r) * align, NULL); break;
	case 0x06: restore(x, reg); break;
	case 0x07: rule(x, reg, RULE_UNDEFINED, 0, NULL); break;
	case 0x08: rule(x, reg, RULE_SAME, 0, NULL); break;
	case 0x09: rule(x, reg, RULE_REGISTER, (int64_t)wf_cursor_uleb(r), NULL); break;
	case 0x10: rule(x, reg, RULE_EXPR, 0, expression(x)); break;
	case 0x11: rule(x, reg, RULE_OFFSET, wf_cursor_sleb(r) * align, NULL); break;
	case 0x14: rule(x, reg, RULE_VAL_OFFSET, (int64_t)wf_cursor_uleb(r) * align, NULL); break;
	case 0x15: rule(x, reg, RULE_VAL_OFFSET, wf_cursor_sleb(r) * align, NULL); break;
	case 0x16: rule(x, reg, RULE_VAL_EXPR, 0, expression(x)); break;
	default: rule(x, reg, RULE_OFFSET, -(int64_t)wf_cursor_uleb(r) * align, NULL); break;
	}
	return true;
}

/* The rest: the canonical frame address and bookkeeping. */
static void
other_op(struct run *x, unsigned op)
{
	struct wf_cursor *r = &x->r;
	struct wf_row *row = &x->c->row;
	uint64_t reg;

	switch (op) {
	case 0x00: break;
	case 0x0a: remember(x); break;
	case 0x0b: recall(x); break;
	case 0x0c:
		reg = wf_cursor_uleb(r);
		def_cfa(x, reg, (int64_t)wf_cursor_uleb(r));
		break;
	case 0x0d: def_cfa(x, wf_cursor_uleb(r), row->cfa.n); break;
	case 0x0e: def_cfa(x, row->cfa_reg, (int64_t)wf_cursor_uleb(r)); break;
	case 0x0f:
		row->cfa = (struct wf_rule){.kind = RULE_VAL_EXPR, .expr = expression(x)};
		break;
	case 0x12:
		reg = wf_cursor_uleb(r);
		def_cfa(x, reg, wf_cursor_sleb(r) * x->f->data_align);
		break;
	case 0x13: def_cfa(x, row->cfa_reg, wf_cursor_sleb(r) * x->f->data_align); break;
	case 0x2d: row->is_ra_signed = !row->is_ra_signed; break;	/* AArch64 */
	case 0x2e: (void)wf_cursor_uleb(r); break;			/* GNU_args_size */
	default: x->is_bad = true;
	}
}

/* Runs the instructions in r until the row for pc is complete. */
static bool
run(struct wf_cfi *c, const struct wf_fde *f, const uint8_t *code, const uint8_t *end, uintptr_t pc)
{
	struct run x = {.c = c, .f = f, .r = {.p = code, .end = end}, .loc = f->start};

	while (x.r.p < x.r.end && !x.is_bad && !x.r.is_bad) {
		unsigned op = (unsigned)wf_cursor_fixed(&x.r, 1), low = op & 0x3f;
		uintptr_t next = x.loc;

		if (op >> 6 == 1)
			next += low * f->code_align;
		else if (op >> 6 == 2)
			rule(&x, low, RULE_OFFSET, (int64_t)wf_cursor_uleb(&x.r) * f->data_align,
			    NULL);
		else if (op >> 6 == 3)
			restore(&x, low);
		else if (op == 0x01)
			next = (uintptr_t)wf_cursor_pointer(&x.r, f->enc, 0);
		else if (op >= 0x02 && op <= 0x04)
			next += wf_cursor_fixed(&x.r, 1U << (op - 2)) * f->code_align;
		else if (!register_op(&x, op))
			other_op(&x, op);
		if (next > pc)
			break;
		x.loc = next;
	}
	return !x.is_bad && !x.r.is_bad;
}

static bool
find_cfa(const struct wf_row *row, const uint8_t *limit, const struct wf_regs *regs,
    struct wf_peek *stack, uintptr_t *ret)
{
	if (row->cfa.kind == RULE_VAL_EXPR)
		return wf_expr_eval(row->cfa.expr, limit, 0, regs, stack, ret);
	if (row->cfa.kind != RULE_REGISTER || !regs->known[row->cfa_reg])
		return false;
	*ret = regs->v[row->cfa_reg] + (uintptr_t)row->cfa.n;
	return true;
}

/* The value that rule gives register reg of the caller. False: it is not known. */
static bool
apply(const struct wf_rule *rule, unsigned reg, uintptr_t cfa, const uint8_t *limit,
    const struct wf_regs *regs, struct wf_peek *stack, uintptr_t *ret)
{
	uintptr_t at;

	switch (rule->kind) {
	case RULE_SAME:
		*ret = regs->v[reg];
		return regs->known[reg];
	case RULE_OFFSET:
		return wf_peek_word(stack, cfa + (uintptr_t)rule->n, ret);
	case RULE_VAL_OFFSET:
		*ret = cfa + (uintptr_t)rule->n;
		return true;
	case RULE_REGISTER:
		if ((uint64_t)rule->n >= WF_NREGS)
			return false;
		*ret = regs->v[rule->n];
		return regs->known[rule->n];
	case RULE_EXPR:
		return wf_expr_eval(rule->expr, limit, cfa, regs, stack, &at) &&
		    wf_peek_word(stack, at, ret);
	case RULE_VAL_EXPR:
		return wf_expr_eval(rule->expr, limit, cfa, regs, stack, ret);
	default:
		return false;
	}
}

void
wf_cfi_init(struct wf_cfi *c)
{
	memset(c->plans, 0, sizeof(c->plans));
}

static struct wf_plan *
plan_of(struct wf_cfi *c, uintptr_t pc)
{
	return &c->plans[(pc ^ pc >> 8) % WF_CFI_PLANS];
}

/* Keeps c->row for pc, if it fits. */
static void
keep_plan(struct wf_cfi *c, uintptr_t pc, const struct wf_fde *f)
{
	const struct wf_row *row = &c->row;
	struct wf_plan plan = {.pc = pc, .ra = (uint8_t)f->ra, .is_ra_signed = row->is_ra_signed};

	if (f->is_signal || row->cfa.kind != RULE_REGISTER ||
	    row->regs[f->ra].kind != RULE_OFFSET || row->regs[WF_REG_SP].kind != RULE_SAME)
		return;
	plan.cfa_reg = (uint8_t)row->cfa_reg;
	plan.cfa_offset = row->cfa.n;
	for (unsigned i = 0; i < WF_NREGS; i++) {
		int64_t n = row->regs[i].n;

		if (row->regs[i].kind == RULE_SAME)
			continue;
		if (row->regs[i].kind != RULE_OFFSET || plan.n == WF_PLAN_REGS || n != (int32_t)n)
			return;
		plan.regs[plan.n] = (uint8_t)i;
		plan.offsets[plan.n++] = (int32_t)n;
	}
	*plan_of(c, pc) = plan;
}

static void
strip_signature(struct wf_regs *up, bool is_signed)
{
	/* User addresses have 48 bits; what authenticates them is above. */
	if (is_signed)
		up->pc &= ((uintptr_t)1 << 48) - 1;
}

/* One step by a plan. */
static enum wf_cfi_result
follow_plan(const struct wf_plan *plan, struct wf_regs *regs, struct wf_peek *stack)
{
	struct wf_regs up = *regs;
	uintptr_t cfa;

	if (!regs->known[plan->cfa_reg])
		return CFI_BAD;
	cfa = regs->v[plan->cfa_reg] + (uintptr_t)plan->cfa_offset;
	for (unsigned i = 0; i < plan->n; i++) {
		unsigned reg = plan->regs[i];

		up.known[reg] =
		    wf_peek_word(stack, cfa + (uintptr_t)(intptr_t)plan->offsets[i], &up.v[reg]);
	}
	if (!up.known[plan->ra])
		return CFI_BAD;
	up.pc = up.v[plan->ra];
	strip_signature(&up, plan->is_ra_signed);
	up.v[WF_REG_SP] = cfa;
	up.known[WF_REG_SP] = true;
	*regs = up;
	return CFI_OK;
}

enum wf_cfi_result
wf_cfi_step(struct wf_cfi *c, const struct wf_os_elf *elf, uintptr_t lookup_pc,
    struct wf_regs *regs, struct wf_peek *stack, bool *ret_is_signal)
{
	const uint8_t *limit = (const uint8_t *)elf->hi;
	struct wf_regs up;
	struct wf_fde f;
	uintptr_t cfa;

	*ret_is_signal = false;
	if (plan_of(c, lookup_pc)->pc == lookup_pc && lookup_pc != 0)
		return follow_plan(plan_of(c, lookup_pc), regs, stack);
	if (!wf_fde_find(elf, lookup_pc, &f))
		return CFI_NONE;
	memset(&c->row, 0, sizeof(c->row));
	memset(&c->initial, 0, sizeof(c->initial));
	c->n_remembered = 0;
	if (!run(c, &f, f.cie_code, f.cie_code_end, UINTPTR_MAX))
		return CFI_BAD;
	c->initial = c->row;
	if (!run(c, &f, f.code, f.code_end, lookup_pc))
		return CFI_BAD;
	if (c->row.regs[f.ra].kind == RULE_UNDEFINED)
		return CFI_END;
	keep_plan(c, lookup_pc, &f);
	if (!find_cfa(&c->row, limit, regs, stack, &cfa))
		return CFI_BAD;

	memset(&up, 0, sizeof(up));
	for (unsigned i = 0; i < WF_NREGS; i++)
		up.known[i] = apply(&c->row.regs[i], i, cfa, limit, regs, stack, &up.v[i]);
	if (!up.known[f.ra])
		return CFI_BAD;
	up.pc = up.v[f.ra];
	strip_signature(&up, c->row.is_ra_signed);
	/* The stack pointer of the caller is the CFA, unless a signal frame says otherwise. */
	if (c->row.regs[WF_REG_SP].kind == RULE_SAME) {
		up.v[WF_REG_SP] = cfa;
		up.known[WF_REG_SP] = true;
	}
	*ret_is_signal = f.is_signal;
	*regs = up;
	return CFI_OK;
}
