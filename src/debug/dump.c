/*
 * Printing goroutines. See dump.h; the form of the text and how a running goroutine is read
 * without stopping it: README.md. Stacks: frames.c.
 */
#include "debug/dump.h"

#include <weft/debug.h>
#include "debug/peek.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/hooks.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_BYTES 1024u	/* gcc for aarch64 moves sp by 64 KiB, then touches this above */
#define TRIES 3			/* at a goroutine that changes while it is read */
#define NS_PER_S 1000000000

void
wf_dump_init(struct dump *d, int fd)
{
	wf_out_init(&d->out, fd);
	wf_cfi_init(&d->u.cfi);
	memset(&d->syms, 0, sizeof(d->syms));
	d->self = NULL;
	d->blocked_ns = -1;
	d->n_others = 0;
}

void
wf_dump_fini(struct dump *d)
{
	wf_out_flush(&d->out);
	wf_symtab_close(&d->syms);
	/* Parts of stacks: a search for references would find them in what was malloc's. */
	memset(&d->u.stack, 0, sizeof(d->u.stack));
}

/* The name may be freed under our eyes: it is read like a stack, and cut at what is not text. */
void
wf_dump_name(const struct g *g, char *buf, size_t cap)
{
	uintptr_t tags = (uintptr_t)wf_load_relaxed(&g->tags);

	if (tags == 0 || !wf_peek_copy(buf, tags + offsetof(struct wf_tags, name), cap, false)) {
		buf[0] = '\0';
		return;
	}
	buf[cap - 1] = '\0';
	for (char *p = buf; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == '"' || *p == 0x7f)
			*p = '?';
	}
}

/* As one more item in the bracket, which it can't end, and where it can't look like two. */
static void
print_name(struct dump *d, const struct g *g)
{
	char name[32];

	wf_dump_name(g, name, sizeof(name));
	if (name[0] == '\0')
		return;
	for (char *p = name; *p != '\0'; p++) {
		if (*p == ']' || *p == ',')
			*p = *p == ']' ? '?' : ';';
	}
	wf_out_str(&d->out, ", \"");
	wf_out_str(&d->out, name);
	wf_out_str(&d->out, "\"");
}

/* A goroutine that computes or blocks without a P: since when, and which thread it keeps. */
static void
print_detached(struct dump *d, const struct g *g, int64_t now)
{
	const struct m *m = g->m;
	uint8_t is_detached = 0;
	int64_t at = 0;
	int tid = 0;

	/* Through the kernel, like the rest of what others write while we look. */
	if (now == 0 || m == NULL || wf_load_relaxed(&g->status) != G_RUNNING ||
	    !wf_peek_copy(&is_detached, (uintptr_t)&m->is_detached, sizeof(is_detached), true) ||
	    !is_detached ||
	    !wf_peek_copy(&at, (uintptr_t)&m->detached_at, sizeof(at), true) ||
	    !wf_peek_copy(&tid, (uintptr_t)&m->tid, sizeof(tid), true))
		return;
	wf_out_str(&d->out, ", detached ");
	wf_out_i64(&d->out, wf_max((now - at) / 1000000, (int64_t)0));
	wf_out_str(&d->out, " ms, thread ");
	wf_out_i64(&d->out, tid);
}

void
wf_dump_header(struct dump *d, const struct g *g, const struct g *copy, const char *state,
    int64_t now)
{
	int64_t waited_ns = now - wf_load_relaxed(&copy->since), waited = waited_ns / NS_PER_S;

	wf_out_str(&d->out, "goroutine ");
	wf_out_u64(&d->out, wf_load_relaxed(&copy->id));
	wf_out_str(&d->out, " [");
	wf_out_str(&d->out, state);
	if (wf_load_relaxed(&copy->status) == G_WAITING && waited >= 1) {
		wf_out_str(&d->out, ", ");
		wf_out_i64(&d->out, waited >= 60 ? waited / 60 : waited);
		wf_out_str(&d->out, waited >= 60 ? " minutes" : " seconds");
	} else if (wf_load_relaxed(&copy->status) == G_WAITING && d->blocked_ns >= 0) {
		wf_out_str(&d->out, ", ");
		wf_out_i64(&d->out, wf_max(waited_ns / 1000000, (int64_t)0));
		wf_out_str(&d->out, " ms");
	}
	print_detached(d, copy, now);
	if (wf_load_relaxed(&copy->locked) != 0)
		wf_out_str(&d->out, ", locked to thread");
	print_name(d, copy);
	wf_out_str(&d->out, "]");
	if (!wf_sched.debug.no_traceback_labels && wf_labels_copy(g, copy, &d->labels)) {
		wf_out_str(&d->out, " ");
		wf_labels_print(&d->out, &d->labels);
	}
	wf_out_str(&d->out, ":\n");
}

void
wf_dump_caller(struct dump *d, const struct g *g, enum dump_hide hide, uintptr_t from_pc)
{
	d->self = g;
	if (g == NULL) {
		wf_dump_stack(d, HIDE_NOTHING, 0, NULL);
	} else {
		wf_dump_header(d, g, g, "running", 0);
		wf_dump_stack(d, hide, from_pc, g);
		wf_dump_created_by(d, g);
	}
	wf_out_flush(&d->out);
}

/* The bracket's first words. The goroutine's thread, if it has one, may be in a marked call. */
static const char *
state_name(const struct g *g)
{
	const struct m *m = g->m;
	uint8_t in_syscall = 0;

	switch (wf_load_relaxed(&g->status)) {
	case G_RUNNABLE:
		return "runnable";
	case G_RUNNING:
		if (m != NULL && wf_peek_copy(&in_syscall, (uintptr_t)&m->gate.in_syscall,
		    sizeof(in_syscall), /* direct */ true) && in_syscall)
			return "syscall";
		return "running";
	case G_SYSCALL:
		return "syscall";
	case G_WAITING:
		return wf_wait_reason_name(wf_load_relaxed(&g->wait_reason));
	default:
		return "dead";
	}
}

/* Do two copies show the same wait, or the same place in a queue? */
static bool
is_same(const struct g *a, const struct g *b)
{
	return wf_load_relaxed(&a->id) == wf_load_relaxed(&b->id) &&
	    wf_load_relaxed(&a->wait) == wf_load_relaxed(&b->wait) &&
	    wf_load_relaxed(&a->status) == wf_load_relaxed(&b->status) &&
	    a->ctx.pc == b->ctx.pc && a->ctx.sp == b->ctx.sp;
}

static bool
copy_g(struct g *to, const struct g *g)
{
	return wf_peek_copy(to, (uintptr_t)g, sizeof(*to), /* direct */ true) &&
	    wf_load_relaxed(&to->id) != 0 && wf_load_relaxed(&to->status) != G_DEAD;
}

/* Has the goroutine a stack that can be walked: does it run nowhere, and has it run before? */
static bool
has_stack(const struct g *g)
{
	uint8_t status = wf_load_relaxed(&g->status);

	return (status == G_WAITING || status == G_RUNNABLE) && g->ctx.pc != 0;
}

/* Keeps the frames of g, of which copy is a copy. False: it changed meanwhile. */
static bool
collect_other(struct dump *d, const struct g *g, const struct g *copy)
{
	struct g again;

	wf_unwind_ctx(&d->u, &copy->ctx, wf_load_relaxed(&copy->stack_lo),
	    wf_load_relaxed(&copy->stack_hi), /* is_known */ true);
	wf_dump_collect(d, HIDE_RUNTIME, 0, copy);
	return copy_g(&again, g) && is_same(&again, copy);
}

bool
wf_dump_snapshot(struct dump *d, struct g *g, struct g *ret_copy, uintptr_t *pcs, uint32_t max,
    uint32_t *ret_n)
{
	*ret_n = 0;
	for (int i = 0; i < TRIES; i++) {
		if (!copy_g(ret_copy, g))
			return false;
		if (g == d->self || !has_stack(ret_copy))
			return true;
		if (!collect_other(d, g, ret_copy))
			continue;
		max = wf_min(max, DUMP_INNER);
		*ret_n = (uint32_t)wf_min(d->n, (size_t)max);
		for (uint32_t f = 0; f < *ret_n; f++)
			pcs[f] = d->inner[f] + 1;
		return true;
	}
	return true;		/* it changes all the time: then it is not the stack that matters */
}

static bool
is_wanted(const struct dump *d, const struct g *copy)
{
	return d->blocked_ns < 0 || wf_dump_is_blocked(copy, wf_os_now(), d->blocked_ns);
}

static void
dump_other(struct g *g, void *arg)
{
	struct dump *d = arg;
	bool is_whole = false;
	struct g copy;

	if (g == d->self)
		return;
	for (int i = 0; i < TRIES && !is_whole; i++) {
		if (!copy_g(&copy, g) || !is_wanted(d, &copy))
			return;		/* it has ended, or gone on */
		is_whole = d->out.fd < 0 || !has_stack(&copy) || collect_other(d, g, &copy);
	}
	d->n_others++;
	if (d->out.fd < 0)
		return;
	wf_out_str(&d->out, "\n");
	wf_dump_header(d, g, &copy, state_name(&copy), wf_os_now());
	if (is_whole && has_stack(&copy))
		wf_dump_frames(d);
	else if (is_whole && wf_load_relaxed(&copy.status) == G_RUNNABLE)
		wf_dump_frame(d, wf_dump_began_with(&copy));
	else		/* or it has run each time that we looked */
		wf_out_str(&d->out, "\tgoroutine running on other thread; stack unavailable\n");
	wf_dump_created_by(d, &copy);
	wf_out_flush(&d->out);
}

void
wf_dump_others(struct dump *d)
{
	wf_g_each(dump_other, d);
}

/* ---- the caller ---- */

struct g *
wf_dump_current(uintptr_t sp)
{
	struct m *m = wf_self();
	struct g *g = m != NULL ? wf_gate(m)->g : NULL;
	uintptr_t lo;

	if (g == NULL)
		return NULL;
	lo = wf_load_relaxed(&g->stack_lo);
	/* An overflow has left the stack at its lower end. */
	if (sp + WF_GUARD_BYTES + PROBE_BYTES < lo || sp >= wf_load_relaxed(&g->stack_hi))
		return NULL;
	return g;
}

bool
wf_dump_bounds(const struct g *g, uintptr_t sp, uintptr_t *ret_lo, uintptr_t *ret_hi)
{
	const struct m *m = wf_self();

	if (g != NULL) {
		*ret_lo = wf_load_relaxed(&g->stack_lo);
		*ret_hi = wf_load_relaxed(&g->stack_hi);
		return true;
	}
	if (m != NULL && sp >= m->g0_lo && sp < m->g0_hi) {
		*ret_lo = m->g0_lo;
		*ret_hi = m->g0_hi;
		return true;
	}
	*ret_lo = sp;
	*ret_hi = sp + ((uintptr_t)1 << 20);
	return false;
}

void
wf_dump_all(int fd)
{
	struct dump *d = malloc(sizeof(*d));
	struct wf_ctx here;
	struct g *g;
	uintptr_t lo, hi;
	bool is_known;

	if (d == NULL)
		return;
	wf_ctx_here(&here);
	g = wf_dump_current(here.sp);
	wf_dump_init(d, fd);
	is_known = wf_dump_bounds(g, here.sp, &lo, &hi);
	wf_unwind_ctx(&d->u, &here, lo, hi, is_known);
	wf_dump_caller(d, g, HIDE_RUNTIME, 0);
	wf_dump_others(d);
	wf_dump_fini(d);
	free(d);
}

/*
 * Outside the runtime while it prints: that may take long, and a thread in the runtime keeps
 * its P. Entering makes sure that there is a goroutine to begin with.
 */
WF_API_PARKS void
weft_dump(int fd)
{
	(void)wf_enter();
	wf_leave();
	wf_dump_all(fd);
	wf_compiler_barrier();	/* a call, not a jump: the trace begins at this frame */
}
