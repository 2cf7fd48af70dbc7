/*
 * What events make of goroutines and threads; of Ps: trace_proc.c. See trace_state.h; source of the
 * rules: the reader in Go 1.23, src/internal/trace/order.go.
 */
#include "trace_state.h"

#include "trace_rules.h"

#include <stdlib.h>
#include <string.h>

/* ---- making them ---- */

void *
state_add(
    struct trace_state *t, struct idmap *ids, uint64_t id, struct trace_vector *v, size_t item)
{
	void *new;

	if (idmap_add(ids, &id, sizeof(id)) == IDMAP_NONE) {
		(void)trace_error(t->error, 0, "out of memory");
		return NULL;
	}
	new = trace_vector_add(v, item, t->error);
	if (new != NULL)
		memset(new, 0, item);
	return new;
}

/* The number of a thread, or NONE: no memory. */
static size_t
m_index(struct trace_state *t, uint64_t thread)
{
	size_t i = state_find(&t->m_ids, thread);
	struct m_state *m;

	if (i != IDMAP_NONE)
		return i;
	m = state_add(t, &t->m_ids, thread, &t->ms, sizeof(*m));
	if (m == NULL)
		return NONE;
	m->g = m->p = NONE;
	return t->ms.n - 1;
}

/* ---- goroutines ---- */

static void
tell(struct trace_state *t, const struct g_state *g, int64_t now)
{
	const struct p_state *p = g->m == NONE ? NULL : p_at(t, m_at(t, g->m)->p);
	struct trace_span span = {
		.g = g->id, .state = g->state, .p = p == NULL ? TRACE_NO_P : p->id,
		.from = g->since, .to = wf_max(now, g->since),
		.function = g->function, .reason = g->reason, .stack = &g->stack, .by = g->by,
	};

	if (t->sink != NULL && t->sink->span != NULL)
		t->sink->span(t->sink->arg, &span);
}

void
g_enter(struct trace_state *t, struct g_state *g, enum trace_g state, int64_t now)
{
	tell(t, g, now);
	g->state = state;
	g->since = wf_max(now, g->since);
	g->by = 0;
}

static void
say_goroutine(const struct trace_state *t, const struct g_state *g)
{
	if (t->sink != NULL && t->sink->goroutine != NULL)
		t->sink->goroutine(t->sink->arg, g->id, g->function);
}

void
g_set_stack(struct g_state *g, const struct trace_stack *stack)
{
	g->stack = *stack;
	if (g->function.n == 0 && stack->n != 0)
		g->function = stack->frames[stack->n - 1].function;
}

static struct g_state *
new_g(struct trace_state *t, uint64_t id, enum trace_g state, int64_t since)
{
	struct g_state *g = state_add(t, &t->g_ids, id, &t->gs, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->id = id;
	g->state = state;
	g->seen.gen = t->gen;
	g->m = NONE;
	g->since = since;
	g->function = g->reason = (struct trace_text){ "", 0 };
	return g;
}

static enum step_verdict
go_status(struct trace_state *t, const struct trace_step *s)
{
	uint64_t state = s->args[2];
	struct g_state *g = g_at(t, state_find(&t->g_ids, s->args[0]));
	size_t m = NONE;

	if (state < TG_RUNNABLE || state > TG_WAITING)
		return STEP_NEVER;
	if (g != NULL) {
		if (g->seen.gen == t->gen || g->state != state)
			return STEP_NEVER;
		g->seen = (struct seen){ t->gen, 0 };
		g_changed(t, g);
		return STEP_DONE;
	}
	if (state == TG_RUNNING || state == TG_SYSCALL) {
		m = m_index(t, s->args[1]);
		if (m == NONE || m_at(t, m)->g != NONE)
			return STEP_NEVER;
	}
	g = new_g(t, s->args[0], (enum trace_g)state, t->from);
	if (g == NULL)
		return STEP_NEVER;
	g->m = m;
	g_changed(t, g);
	if (m != NONE) {
		m_at(t, m)->g = t->gs.n - 1;
		changed(t, WAIT_THREAD, s->args[1], 0);
	}
	return STEP_DONE;
}

static enum step_verdict
go_create(struct trace_state *t, const struct trace_step *s, const struct m_state *m)
{
	const struct g_state *by = g_at(t, m->g);
	uint64_t by_id = by == NULL ? 0 : by->id;
	struct g_state *g;

	if (state_find(&t->g_ids, s->args[0]) != IDMAP_NONE)
		return STEP_NEVER;
	if (m->p == NONE)	/* for ever: it is tried again to say that there is another one */
		return not_yet(t, WAIT_GO, s->args[0], 1);
	g = new_g(t, s->args[0], TG_RUNNABLE, s->ns);
	if (g == NULL)
		return STEP_NEVER;
	g->by = by_id;
	g_set_stack(g, s->first_stack);
	g_changed(t, g);
	return STEP_DONE;
}

static enum step_verdict
go_start(struct trace_state *t, const struct trace_step *s, struct m_state *m)
{
	size_t i = state_find(&t->g_ids, s->args[0]);
	struct g_state *g = g_at(t, i);

	if (g == NULL || g->state != TG_RUNNABLE || !is_next(t, &g->seen, s->args[1]))
		return not_yet(t, WAIT_GO, s->args[0], s->args[1]);
	if (m->g != NONE || m->p == NONE)
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	g->seen.seq++;
	g_enter(t, g, TG_RUNNING, s->ns);
	g->m = (size_t)(m - m_at(t, 0));
	m->g = i;
	return STEP_DONE;
}

/* The goroutine that runs on m leaves it. */
static enum step_verdict
go_leave(struct trace_state *t, const struct trace_step *s, struct m_state *m, enum trace_g to)
{
	struct g_state *g = g_at(t, m->g);

	if (g == NULL || g->state != TG_RUNNING)
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	g_enter(t, g, to, s->ns);
	g->m = NONE;
	m->g = NONE;
	if (to == TG_NONE) {
		say_goroutine(t, g);
	} else {
		g->reason = s->texts[0];
		g_set_stack(g, s->stack);
		g_changed(t, g);
	}
	return STEP_DONE;
}

static enum step_verdict
go_unblock(struct trace_state *t, const struct trace_step *s, const struct m_state *m)
{
	struct g_state *g = g_at(t, state_find(&t->g_ids, s->args[0])), *by = g_at(t, m->g);

	if (g == NULL || g->state != TG_WAITING || !is_next(t, &g->seen, s->args[1]))
		return not_yet(t, WAIT_GO, s->args[0], s->args[1]);
	g->seen.seq++;
	g_enter(t, g, TG_RUNNABLE, s->ns);
	g->by = by == NULL ? 0 : by->id;
	g_changed(t, g);
	return STEP_DONE;
}

/* ---- the program's own ---- */

static enum step_verdict
user(struct trace_state *t, const struct trace_step *s, const struct m_state *m)
{
	static const enum trace_mark_kind kinds[] = {
		[EV_TASK_BEGIN - EV_TASK_BEGIN] = MARK_TASK_BEGIN,
		[EV_TASK_END - EV_TASK_BEGIN] = MARK_TASK_END,
		[EV_REGION_BEGIN - EV_TASK_BEGIN] = MARK_REGION_BEGIN,
		[EV_REGION_END - EV_TASK_BEGIN] = MARK_REGION_END,
		[EV_LOG - EV_TASK_BEGIN] = MARK_LOG,
	};
	const struct g_state *g = g_at(t, m->g);
	struct trace_mark mark = { .kind = MARK_LOG, .at = s->ns };

	if (s->type == EV_GO_LABEL) {
		mark.name = (struct trace_text){ "labels", 6 };
		mark.text = s->texts[0];
	} else {
		mark.kind = kinds[s->type - EV_TASK_BEGIN];
		mark.task = s->args[0];
		mark.parent = s->type == EV_TASK_BEGIN ? s->args[1] : 0;
		mark.name = s->texts[0];
		mark.text = s->texts[1];
	}

	if (g == NULL || (g->state != TG_RUNNING && g->state != TG_SYSCALL))
		return not_yet(t, WAIT_THREAD, s->thread, 0);
	mark.g = g->id;
	if (t->sink != NULL && t->sink->mark != NULL)
		t->sink->mark(t->sink->arg, &mark);
	return STEP_DONE;
}

/* ---- all of them ---- */

static enum step_verdict
apply(struct trace_state *t, const struct trace_step *s, struct m_state *m)
{
	switch (s->type) {
	case EV_PROC_START:
		return proc_start(t, s, m);
	case EV_PROC_STOP:
		return proc_stop(t, s, m);
	case EV_PROC_STEAL:
		return proc_steal(t, s);
	case EV_PROC_STATUS:
		return proc_status(t, s, m);
	case EV_GO_CREATE:
		return go_create(t, s, m);
	case EV_GO_START:
		return go_start(t, s, m);
	case EV_GO_DESTROY:
		return go_leave(t, s, m, TG_NONE);
	case EV_GO_STOP:
		return go_leave(t, s, m, TG_RUNNABLE);
	case EV_GO_BLOCK:
		return go_leave(t, s, m, TG_WAITING);
	case EV_GO_UNBLOCK:
		return go_unblock(t, s, m);
	case EV_SYSCALL_BEGIN:
		return syscall_begin(t, s, m);
	case EV_SYSCALL_END:
		return syscall_end(t, s, m);
	case EV_SYSCALL_END_BLOCKED:
		return syscall_end_blocked(t, s, m);
	case EV_GO_STATUS:
		return go_status(t, s);
	case EV_PROCS_CHANGE:
		return STEP_DONE;
	default:
		return user(t, s, m);
	}
}

enum step_verdict
trace_state_apply(struct trace_state *t, const struct trace_step *s)
{
	size_t m = m_index(t, s->thread);
	enum step_verdict verdict;

	if (m == NONE)
		return STEP_NEVER;
	t->n_changed = 0;
	verdict = apply(t, s, m_at(t, m));
	if (verdict == STEP_DONE)
		t->to = wf_max(t->to, s->ns);
	return verdict;
}

void
trace_state_begin(struct trace_state *t, int64_t from)
{
	t->from = t->to = from;
}

void
trace_state_end(struct trace_state *t)
{
	for (size_t i = 0; i < t->gs.n; i++) {
		const struct g_state *g = g_at(t, i);

		if (g->state == TG_NONE)
			continue;
		tell(t, g, t->to);
		say_goroutine(t, g);
	}
}

void
trace_state_free(struct trace_state *t)
{
	idmap_free(&t->g_ids);
	idmap_free(&t->p_ids);
	idmap_free(&t->m_ids);
	free(t->gs.items);
	free(t->ps.items);
	free(t->ms.items);
}

bool
trace_step_is_status(const struct trace_step *s)
{
	return s->type == EV_GO_STATUS || s->type == EV_PROC_STATUS;
}

/* In Go's words. */
const char *
trace_step_name(const struct trace_step *s)
{
	static const char *const names[] = {
		[EV_PROCS_CHANGE] = "ProcsChange", [EV_PROC_START] = "ProcStart",
		[EV_PROC_STOP] = "ProcStop", [EV_PROC_STEAL] = "ProcSteal",
		[EV_PROC_STATUS] = "ProcStatus", [EV_GO_CREATE] = "GoCreate",
		[EV_GO_START] = "GoStart", [EV_GO_DESTROY] = "GoDestroy",
		[EV_GO_STOP] = "GoStop", [EV_GO_BLOCK] = "GoBlock",
		[EV_GO_UNBLOCK] = "GoUnblock", [EV_SYSCALL_BEGIN] = "GoSyscallBegin",
		[EV_SYSCALL_END] = "GoSyscallEnd",
		[EV_SYSCALL_END_BLOCKED] = "GoSyscallEndBlocked", [EV_GO_STATUS] = "GoStatus",
		[EV_GO_LABEL] = "GoLabel",
		[EV_TASK_BEGIN] = "UserTaskBegin", [EV_TASK_END] = "UserTaskEnd",
		[EV_REGION_BEGIN] = "UserRegionBegin", [EV_REGION_END] = "UserRegionEnd",
		[EV_LOG] = "UserLog",
	};

	return names[s->type];
}
