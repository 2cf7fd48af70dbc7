/*
 * The parts of writing an event that are rare, and stacks. See event_write.h.
 */
#include "sched/event_write.h"

#include <string.h>

#define STACK_FRAMES 32u	/* a stack is cut at the bottom: what matters is near the event */

/* Numbers of stacks and strings tell threads apart: they share no table. */
#define ID_M_BITS TRACE_M_BITS

WF_COLD void
wf_event_break(void)
{
	wf_store_relaxed(&wf_trace.broken, 1);
	if (wf_xchg_relaxed(&wf_trace.note, 1u) == 0)
		(void)wf_os_futex_wake(&wf_trace.note, 1);
}

WF_NOINLINE struct trace_block *
wf_event_room(struct m *m, uint32_t gen, int64_t now, uint32_t bytes)
{
	struct trace_side *side = &m->trace.side[gen % 2];
	struct trace_block *b = side->events;
	int tid = wf_load_relaxed(&m->tid);

	if (b != NULL && b->gen == gen && b->n + bytes <= TRACE_BLOCK_CAP && b->tid == tid)
		return b;
	b = wf_trace_block_new();
	if (b == NULL) {
		wf_event_break();
		return NULL;
	}
	b->gen = gen;
	b->tid = tid;
	b->first = b->last = now;
	b->next = side->events;
	if (b->next != NULL && b->next->gen == gen)
		wf_trace_block_full(b->next);
	side->events = b;
	if (wf_trace_block_filled(gen) > wf_load_relaxed(&wf_trace.bytes_max) &&
	    wf_xchg_relaxed(&wf_trace.note, 1u) == 0)
		(void)wf_os_futex_wake(&wf_trace.note, 1);
	return b;
}

static void
put_status(struct event_writer *w, uint64_t id, enum trace_event status, uint32_t state,
    const struct m *on)
{
	if (status == EV_PROC_STATUS)
		event_put(w, EV_PROC_STATUS, 2, id, state);
	else
		event_put(w, EV_GO_STATUS, 3, id,
		    on != NULL ? (uint64_t)wf_load_relaxed(&on->tid) : TRACE_NO_THREAD, state);
}

/* G5: claims the word for this generation; if the one before has not named it, says so there. */
WF_NOINLINE void
wf_event_say_slow(struct event_writer *w, _Atomic uint64_t *word, uint64_t id,
    enum trace_event status, uint32_t state, const struct m *on)
{
	uint32_t first = wf_load_relaxed(&wf_trace.first);
	uint64_t old = wf_load_relaxed(word);
	uint64_t new = trace_word_pack((struct trace_word){
	    .gen = w->gen, .m = on != NULL ? on->id : 0, .state = state });
	struct trace_word v;

	while (!wf_cas_acqrel(word, &old, new))				/* G5 */
		;
	v = trace_word_unpack(old);
	if (w->gen != first && v.state != 0 && v.state != TRACE_GONE &&
	    v.gen != ((w->gen - 1) & TRACE_GEN_MASK)) {
		struct event_writer late = *w;

		late.gen = w->gen - 1;
		late.b = wf_event_room(w->m, late.gen, w->now, 64);
		if (late.b != NULL)
			put_status(&late, id, status, state, on);
	}
	put_status(w, id, status, state, on);
}

WF_NOINLINE void
wf_event_say_p_slow(struct event_writer *w, struct m *m, enum trace_p state)
{
	if (m->p != NULL)
		event_say(w, &m->p->trace, m->p->id, EV_PROC_STATUS, state, m);
	else if (m->is_foreign)
		event_say(w, &m->trace.own_p, event_own_p_id(m), EV_PROC_STATUS, state, m);
}

WF_NOINLINE void
wf_event_say_context_slow(struct event_writer *w, struct m *m, bool ends)
{
	bool is_outside = event_is_in_syscall(w);
	struct g *g = m->gate.g;
	struct p *p = m->p;

	if (!is_outside)
		w->t->syscall_gen = 0;
	wf_event_say_p_slow(w, m, is_outside ? TP_SYSCALL : TP_RUNNING);
	if (g != NULL)
		event_say_g(w, g, is_outside ? TG_SYSCALL : TG_RUNNING, m);
	w->t->said = w->gen;
	if (is_outside && ends && p != NULL && g != NULL) {
		w->t->syscall_gen = 0;
		event_word_keep(w, &g->trace, TG_RUNNING, m->id);
		event_word_keep(w, &p->trace, TP_RUNNING, m->id);
		event_put(w, EV_SYSCALL_END, 0);
	}
}

/* ---- stacks and strings ---- */

static uint64_t
number(const struct event_writer *w, uint32_t n)
{
	return n == 0 ? 0 : (uint64_t)n << ID_M_BITS | (w->m->id & TRACE_M_MASK);
}

uint64_t
wf_event_stack_of(struct event_writer *w, uintptr_t pc)
{
	struct trace_side *side = &w->t->side[w->gen % 2];

	return number(w, wf_trace_intern(&side->stacks, w->gen, &pc, sizeof(pc)));
}

WF_NOINLINE __attribute__((no_sanitize_address)) __attribute__((no_sanitize_thread)) uint32_t
wf_walk_frames(const struct g *g, uintptr_t *pcs, uint32_t max)
{
	uintptr_t fp = (uintptr_t)__builtin_frame_address(0), up, hi;
	uint32_t n = 0;

	if (g == NULL || fp < wf_load_relaxed(&g->stack_lo))
		return 0;
	hi = wf_load_relaxed(&g->stack_hi) - 2 * sizeof(uintptr_t);
	while (n < max && fp <= hi && fp % sizeof(uintptr_t) == 0) {
		uintptr_t pc = ((const uintptr_t *)fp)[1];

		if (pc == 0)
			break;
		pcs[n++] = pc;
		up = ((const uintptr_t *)fp)[0];
		if (up <= fp)
			break;
		fp = up;
	}
	return n;
}

uint64_t
wf_event_stack(struct event_writer *w, struct m *m)
{
	struct trace_side *side = &w->t->side[w->gen % 2];
	uintptr_t pcs[STACK_FRAMES];
	uint32_t n = wf_walk_frames(m->gate.g, pcs, STACK_FRAMES);

	if (n == 0)
		return 0;
	return number(w,
	    wf_trace_intern(&side->stacks, w->gen, pcs, n * (uint32_t)sizeof(pcs[0])));
}

uint64_t
wf_event_string(struct event_writer *w, const char *s)
{
	struct trace_side *side = &w->t->side[w->gen % 2];
	uint32_t n = (uint32_t)strnlen(s, TRACE_STRING_MAX);

	return number(w, wf_trace_intern(&side->strings, w->gen, s, n));
}
