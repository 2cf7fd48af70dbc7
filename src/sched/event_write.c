/*
 * The parts of writing an event that are rare. See event_write.h.
 */
#include "sched/event_write.h"

#include "sched/tags.h"

#include <string.h>

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
	b = wf_trace_block_new(/* is_filled */ b != NULL && b->gen == gen);
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
put_status(const struct event_writer *w, uint64_t id, enum trace_event status, uint32_t state,
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
wf_event_say_slow(struct event_writer w, _Atomic uint64_t *word, uint64_t id,
    enum trace_event status, uint32_t state, const struct m *on)
{
	uint32_t first = wf_load_relaxed(&wf_trace.first);
	uint64_t old = wf_load_relaxed(word);
	uint64_t new = trace_word_pack((struct trace_word){
	    .gen = w.gen, .m = on != NULL ? on->id : 0, .state = state });
	struct trace_word v;

	while (!wf_cas_acqrel(word, &old, new))				/* G5 */
		;
	v = trace_word_unpack(old);
	if (w.gen != first && v.state != 0 && v.state != TRACE_GONE &&
	    v.gen != ((w.gen - 1) & TRACE_GEN_MASK)) {
		struct event_writer late = w;

		late.gen = w.gen - 1;
		late.b = wf_event_room(w.m, late.gen, w.now, 64);
		if (late.b != NULL)
			put_status(&late, id, status, state, on);
	}
	put_status(&w, id, status, state, on);
}

WF_NOINLINE void
wf_event_say_p_slow(struct event_writer w, struct m *m, enum trace_p state)
{
	if (m->p != NULL)
		event_say(&w, &m->p->trace, m->p->id, EV_PROC_STATUS, state, m);
	else if (m->is_foreign)
		event_say(&w, &m->trace.own_p, event_own_p_id(m), EV_PROC_STATUS, state, m);
}

WF_NOINLINE void
wf_event_say_context_slow(struct event_writer w, struct m *m, bool ends)
{
	bool is_outside = event_is_in_syscall(&w);
	struct g *g = m->gate.g;
	struct p *p = m->p;

	if (!is_outside)
		w.t->syscall_gen = 0;
	wf_event_say_p_slow(w, m, is_outside ? TP_SYSCALL : TP_RUNNING);
	if (g != NULL)
		event_say_g(&w, g, is_outside ? TG_SYSCALL : TG_RUNNING, m);
	w.t->said = w.gen;
	if (is_outside && ends && p != NULL && g != NULL) {
		w.t->syscall_gen = 0;
		event_word_keep(&w, &g->trace, TG_RUNNING, m->id);
		event_word_keep(&w, &p->trace, TP_RUNNING, m->id);
		event_put(&w, EV_SYSCALL_END, 0);
	}
	if (g != NULL && (p != NULL || m->is_foreign) && w.t->syscall_gen == 0)
		event_say_labels(&w, g);
}

/* ---- numbers: they tell threads apart, which share no table ---- */

uint64_t
wf_event_stack_of(struct event_writer w, uintptr_t pc)
{
	struct trace_side *side = &w.t->side[w.gen % 2];

	return event_number(w.m, wf_trace_intern(&side->stacks, w.gen, &pc, sizeof(pc)));
}

uint64_t
wf_event_string(struct event_writer w, const char *s)
{
	struct trace_side *side = &w.t->side[w.gen % 2];
	uint32_t n = (uint32_t)strnlen(s, TRACE_STRING_MAX);

	return event_number(w.m, wf_trace_intern(&side->strings, w.gen, s, n));
}

/* The tracer makes text of them. */
static uint64_t
number_of_labels(struct event_writer w, const struct wf_tags *labels)
{
	struct trace_table *t = &w.t->side[w.gen % 2].labels;
	uint64_t n = event_number(
	    w.m, wf_trace_intern(t, w.gen, labels->text, labels->bytes));

	return n == 0 ? 0 : n | TRACE_LABELS;
}

void
wf_event_say_labels(struct event_writer w, struct g *g)
{
	const struct wf_tags *labels = wf_tags_labels(wf_load_relaxed(&g->tags));
	bool was_told = (wf_load_relaxed(&g->trace) & TRACE_TOLD) != 0;

	wf_store_relaxed(&g->trace, wf_load_relaxed(&g->trace) | TRACE_TOLD);
	if (labels != NULL)
		event_put(&w, EV_GO_LABEL, 1, number_of_labels(w, labels));
	else if (was_told)
		event_put(&w, EV_GO_LABEL, 1, 0);
}
