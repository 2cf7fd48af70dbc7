/*
 * What the rules of trace_state.c and trace_proc.c share: the records, and how they are found.
 */
#ifndef WEFT_TRACE_RULES_H
#define WEFT_TRACE_RULES_H

#include "trace_state.h"

#define NONE SIZE_MAX

struct seen {			/* how far a G or a P has come in the generation that named it */
	uint64_t gen, seq;
};

struct g_state {
	uint64_t id;
	enum trace_g state;	/* TG_NONE: it has ended */
	struct seen seen;
	size_t m;		/* the thread it is on, or NONE */
	int64_t since;
	struct trace_text function, reason;
	struct trace_stack stack;	/* the table it comes from ends with the generation */
	uint64_t by;
};

struct p_state {
	uint64_t id;
	enum trace_p state;
	struct seen seen;
};

struct m_state {
	size_t g, p;		/* or NONE */
};

static inline struct g_state *
g_at(const struct trace_state *t, size_t i)
{
	return i == NONE ? NULL : (struct g_state *)t->gs.items + i;
}

static inline struct p_state *
p_at(const struct trace_state *t, size_t i)
{
	return i == NONE ? NULL : (struct p_state *)t->ps.items + i;
}

static inline size_t
state_find(const struct idmap *ids, uint64_t id)
{
	return idmap_find(ids, &id, sizeof(id));
}

static inline struct m_state *
m_at(const struct trace_state *t, size_t i)
{
	return (struct m_state *)t->ms.items + i;
}

/* It may have its event number seq now. */
static inline bool
is_next(const struct trace_state *t, const struct seen *seen, uint64_t seq)
{
	return seen->gen == t->gen && seq == seen->seq + 1;
}

static inline enum step_verdict
not_yet(struct trace_state *t, enum trace_what what, uint64_t id, uint64_t seq)
{
	t->wait = (struct trace_wait){ what, id, seq };
	return STEP_NOT_YET;
}

static inline void
changed(struct trace_state *t, enum trace_what what, uint64_t id, uint64_t seq)
{
	t->changed[t->n_changed++] = (struct trace_wait){ what, id, seq };
}

static inline void
g_changed(struct trace_state *t, const struct g_state *g)
{
	changed(t, WAIT_GO, g->id, g->seen.seq + 1);
}

static inline void
p_changed(struct trace_state *t, const struct p_state *p)
{
	changed(t, WAIT_PROC, p->id, p->seen.seq + 1);
}

/* A new one, zeroed, or NULL. */
void *state_add(
    struct trace_state *t, struct idmap *ids, uint64_t id, struct trace_vector *v, size_t item);
/* Its present state is over. The stack and the reason are the next one's, too, unless replaced. */
void g_enter(struct trace_state *t, struct g_state *g, enum trace_g state, int64_t now);
/* Where it is. Of one that was there before the trace, this says what it began with, too. */
void g_set_stack(struct g_state *g, const struct trace_stack *stack);

/* What an event makes of the thread m, of its P and its goroutine, or of others'. */
enum step_verdict proc_status(
    struct trace_state *t, const struct trace_step *s, struct m_state *m);
enum step_verdict proc_start(
    struct trace_state *t, const struct trace_step *s, struct m_state *m);
enum step_verdict proc_stop(
    struct trace_state *t, const struct trace_step *s, struct m_state *m);
enum step_verdict proc_steal(struct trace_state *t, const struct trace_step *s);
enum step_verdict syscall_begin(
    struct trace_state *t, const struct trace_step *s, const struct m_state *m);
enum step_verdict syscall_end(
    struct trace_state *t, const struct trace_step *s, const struct m_state *m);
enum step_verdict syscall_end_blocked(
    struct trace_state *t, const struct trace_step *s, struct m_state *m);

#endif /* WEFT_TRACE_RULES_H */
