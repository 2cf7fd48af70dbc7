/*
 * Stacks as text: which frames of a walk are shown, and how. README.md, "The text" and "Walking".
 */
#include "debug/dump.h"

#include "debug/peek.h"
#include "sched/sched.h"

#include <string.h>

#define FRAMES_MAX (1u << 20)	/* a stack of 1 GiB may have more: then the walk ends here */
#define HIDDEN_MAX 24u		/* more runtime frames than there ever are on top */
#define ENTRY_BYTES 64u		/* wf_ctx_entry() is shorter on both processors */

/* Does the name of the function where d->u stands begin so? */
static bool
is_named(struct dump *d, const char *prefix)
{
	struct wf_symbol s;

	wf_symtab_find(&d->syms, wf_unwind_lookup_pc(&d->u), &s);
	return s.name != NULL && strncmp(s.name, prefix, strlen(prefix)) == 0;
}

static void
keep_frame(struct dump *d)
{
	uintptr_t pc = wf_unwind_lookup_pc(&d->u);

	if (d->n < DUMP_INNER)
		d->inner[d->n] = pc;
	else
		d->outer[(d->n - DUMP_INNER) % wf_countof(d->outer)] = pc;
	d->n++;
}

static uintptr_t
frame(const struct dump *d, size_t i)
{
	if (i < DUMP_INNER)
		return d->inner[i];
	return d->outer[(i - DUMP_INNER) % wf_countof(d->outer)];
}

static bool
is_entry(uintptr_t pc)
{
	return pc >= (uintptr_t)wf_ctx_entry && pc < (uintptr_t)wf_ctx_entry + ENTRY_BYTES;
}

/*
 * Walks d->u to its end and keeps the frames, without the first *skip. False: the frame to begin at
 * did not come; *skip is then how many seem to be the runtime's.
 */
static bool
walk(struct dump *d, enum dump_hide hide, uintptr_t from_pc, size_t *skip)
{
	bool shown = hide == HIDE_NOTHING && *skip == 0;
	size_t hidden = 0;

	d->n = 0;
	do {
		if (hide == HIDE_TO_PC && d->u.regs.pc == from_pc)
			shown = true;
		else if (!shown && hide == HIDE_RUNTIME && is_named(d, "weft_"))
			shown = true;
		else if (!shown && hide == HIDE_NOTHING && hidden == *skip)
			shown = true;
		if (shown) {
			keep_frame(d);
			continue;
		}
		if (hidden++ == HIDDEN_MAX)
			return false;
		if (hide == HIDE_RUNTIME && !is_entry(d->u.regs.pc) && is_named(d, "wf_"))
			*skip = hidden;
	} while (d->n < FRAMES_MAX && wf_unwind_next(&d->u));
	return shown;
}

uintptr_t
wf_dump_began_with(const struct g *g)
{
	uintptr_t fn = 0, arg = 0;

	(void)wf_peek_copy(&fn, (uintptr_t)&g->fn, sizeof(fn), /* direct */ true);
	if (wf_load_relaxed(&g->flags) & GF_WRAPPED) {
		(void)wf_peek_copy(&arg, (uintptr_t)&g->arg, sizeof(arg), /* direct */ true);
		/* Freed when it ends: it may be gone. */
		(void)wf_peek_copy(&fn, arg, sizeof(fn), /* direct */ false);
	}
	return fn;
}

/*
 * The bottom of a goroutine's stack belongs to the runtime: the entry, the function that it calls,
 * and what that calls in place of the user's function.
 */
static void
drop_bottom(struct dump *d, const struct g *g)
{
	uintptr_t last;

	if (d->n < 3)
		return;
	last = frame(d, d->n - 1);
	if (!is_entry(last))
		return;
	d->n -= 2;
	if (d->n > 1 && (wf_load_relaxed(&g->flags) & GF_WRAPPED))
		d->n--;
}

void
wf_dump_collect(struct dump *d, enum dump_hide hide, uintptr_t from_pc, const struct g *g)
{
	struct wf_regs start = d->u.regs;
	uintptr_t lo = d->u.stack.lo, hi = d->u.stack.hi;
	bool is_known = d->u.stack.is_known, is_found;
	size_t skip = 0;

	is_found = walk(d, hide, from_pc, &skip);
	/* A goroutine of the runtime's own; then without symbols, or from an odd place. */
	for (int i = 0; i < 2 && !is_found; i++) {
		wf_peek_init(&d->u.stack, lo, hi, is_known);
		d->u.regs = start;
		d->u.is_exact = d->u.is_first = true;
		is_found = walk(d, HIDE_NOTHING, 0, &skip);
		skip = 0;		/* better too much than nothing */
	}
	if (g != NULL)
		drop_bottom(d, g);
}

/* A dot begins what the compiler has added (.constprop.0, .part.1, .cold). */
static void
print_function(struct dump *d, const struct wf_symbol *s)
{
	if (s->name == NULL)
		wf_out_str(&d->out, "??");
	else
		wf_out_mem(&d->out, s->name, strcspn(s->name, "."));
}

/* A line of some C file in that object: which one, `weft symbolize` says. README.md, "The text". */
static void
print_place(struct dump *d, const struct wf_symbol *s, uintptr_t pc)
{
	wf_out_str(&d->out, "\t");
	wf_out_str(&d->out, s->path != NULL ? s->path : "?" "?");
	wf_out_str(&d->out, s->path != NULL ? "/?.c:0 +" : ":0 +");
	wf_out_hex(&d->out, s->path != NULL ? s->file_pc : pc);
	wf_out_str(&d->out, "\n");
}

void
wf_dump_frame(struct dump *d, uintptr_t pc)
{
	struct wf_symbol s;

	wf_symtab_find(&d->syms, pc, &s);
	print_function(d, &s);
	wf_out_str(&d->out, "(...)\n");
	print_place(d, &s, pc);
}

void
wf_dump_frames(struct dump *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (i == DUMP_INNER && d->n > DUMP_INNER + DUMP_OUTER) {
			i = d->n - DUMP_OUTER;
			wf_out_str(&d->out, "...");
			wf_out_u64(&d->out, i - DUMP_INNER);
			wf_out_str(&d->out, " frames elided...\n");
		}
		wf_dump_frame(d, frame(d, i));
	}
}

void
wf_dump_stack(struct dump *d, enum dump_hide hide, uintptr_t from_pc, const struct g *g)
{
	wf_dump_collect(d, hide, from_pc, g);
	wf_dump_frames(d);
}

void
wf_dump_created_by(struct dump *d, const struct g *g)
{
	struct wf_symbol s;

	if (g->created_pc == 0)
		return;
	wf_symtab_find(&d->syms, g->created_pc - 1, &s);
	wf_out_str(&d->out, "created by ");
	print_function(d, &s);
	if (g->parent_id != 0) {
		wf_out_str(&d->out, " in goroutine ");
		wf_out_u64(&d->out, g->parent_id);
	}
	wf_out_str(&d->out, "\n");
	print_place(d, &s, g->created_pc - 1);
}
