/*
 * What events make of Ps, and of the calls in which a P can be lost. See trace_state.h; source of
 * the rules: the reader in Go 1.23, src/internal/trace/order.go.
 */
#include "trace_rules.h"

/* ---- Ps ---- */

enum step_verdict
proc_status(struct trace_state *t, const struct trace_step *s, struct m_state *m)
{
	uint64_t state = s->args[1];
	struct p_state *p = p_at(t, state_find(&t->p_ids, s->args[0]));

	if (state < TP_RUNNING || state > TP_SYSCALL)
		return STEP_NEVER;
	if (p != NULL) {
		if (p->seen.gen == t->gen || p->state != state)
			return STEP_NEVER;
		p->seen = (struct seen){ t->gen, 0 };
		p_changed(t, p);
		return STEP_DONE;
	}
	if (state != TP_IDLE && m->p != NONE)
		return STEP_NEVER;
	p = state_add(t, &t->p_ids, s->args[0], &t->ps, sizeof(*p));
	if (p == NULL)
		return STEP_NEVER;
	*p = (struct p_state){ s->args[0], (enum trace_p)state, { t->gen, 0 } };
	if (state != TP_IDLE)
		m->p = t->ps.n - 1;
	p_changed(t, p);
	return STEP_DONE;
}

enum step_verdict
proc_start(struct trace_state *t, const struct trace_step *s, struct m_state *m)
{
	size_t i = state_find(&t->p_ids, s->args[0]);
	struct p_state *p = p_at(t, i);

	if (p == NULL || p->state != TP_IDLE || !is_next(t, &p->seen, s->args[1]))
		return not_yet(t, WAIT_PROC, s->args[0], s->args[1]);
	if (m->p != NONE)
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	p->seen.seq++;
	p->state = TP_RUNNING;
	m->p = i;
	return STEP_DONE;
}

enum step_verdict
proc_stop(struct trace_state *t, const struct trace_step *s, struct m_state *m)
{
	struct p_state *p = p_at(t, m->p);

	/* Its goroutine may be in a call that is likely to block, and gives it up at once. */
	if (p == NULL || (p->state != TP_RUNNING && p->state != TP_SYSCALL))
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	p->state = TP_IDLE;
	p_changed(t, p);
	m->p = NONE;
	return STEP_DONE;
}

/* The goroutine of the thread that loses its P goes on in its call without one. */
enum step_verdict
proc_steal(struct trace_state *t, const struct trace_step *s)
{
	size_t i = state_find(&t->p_ids, s->args[0]), victim = state_find(&t->m_ids, s->args[2]);
	struct p_state *p = p_at(t, i);
	struct m_state *m;
	struct g_state *g;

	if (p == NULL || p->state != TP_SYSCALL || !is_next(t, &p->seen, s->args[1]) ||
	    victim == NONE || m_at(t, victim)->p != i)
		return not_yet(t, WAIT_PROC, s->args[0], s->args[1]);
	m = m_at(t, victim);
	g = g_at(t, m->g);
	if (g != NULL)
		g_enter(t, g, g->state, s->ns);
	p->seen.seq++;
	p->state = TP_IDLE;
	p_changed(t, p);
	m->p = NONE;
	changed(t, WAIT_THREAD, s->args[2], 0);
	return STEP_DONE;
}

/* ---- calls ---- */

enum step_verdict
syscall_begin(struct trace_state *t, const struct trace_step *s, const struct m_state *m)
{
	struct p_state *p = p_at(t, m->p);
	struct g_state *g = g_at(t, m->g);

	if (p == NULL || g == NULL || p->state != TP_RUNNING || g->state != TG_RUNNING)
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	if (!is_next(t, &p->seen, s->args[0]))
		return not_yet(t, WAIT_PROC, p->id, s->args[0]);
	p->seen.seq++;
	p->state = TP_SYSCALL;
	p_changed(t, p);
	g_enter(t, g, TG_SYSCALL, s->ns);
	g_set_stack(g, s->stack);
	return STEP_DONE;
}

enum step_verdict
syscall_end(struct trace_state *t, const struct trace_step *s, const struct m_state *m)
{
	struct p_state *p = p_at(t, m->p);
	struct g_state *g = g_at(t, m->g);

	if (p == NULL || g == NULL || p->state != TP_SYSCALL || g->state != TG_SYSCALL)
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	p->state = TP_RUNNING;
	g_enter(t, g, TG_RUNNING, s->ns);
	return STEP_DONE;
}

enum step_verdict
syscall_end_blocked(struct trace_state *t, const struct trace_step *s, struct m_state *m)
{
	struct g_state *g = g_at(t, m->g);

	if (m->p != NONE || g == NULL || g->state != TG_SYSCALL)
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	g_enter(t, g, TG_RUNNABLE, s->ns);
	g_changed(t, g);
	g->m = NONE;
	m->g = NONE;
	return STEP_DONE;
}
