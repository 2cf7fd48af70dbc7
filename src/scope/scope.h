/*
 * The scope as its own files see it: scope.c (life, what is asked of it), cancel.c (the tree
 * and cancelling), group.c (its goroutines), value.c. How it works, and why it may: README.md.
 * Nothing outside this folder includes this; the scheduler sees sched/scope_hook.h.
 */
#ifndef WEFT_SCOPE_SCOPE_H
#define WEFT_SCOPE_SCOPE_H

#include <weft/scope.h>

#include "base/atomic.h"
#include "sched/g.h"
#include "sched/lock.h"
#include "sched/park.h"
#include "sched/scope_hook.h"
#include "sched/timer.h"

/*
 * weft_scope.base.cancelled. Goes up only, under the lock.
 *
 *   C2  cancelled: release store of SCOPE_SETTLED -> acquire load in weft_scope_err, _cause
 *       Whoever sees a settled scope sees why, and a closed done channel, without the lock.
 */
enum scope_state {
	SCOPE_LIVE,
	SCOPE_CANCELLING,	/* waits end from here on; its canceller has the lock */
	SCOPE_SETTLED,		/* err and cause are final, done is closed */
};

struct value;

/*
 * Life: weft_scope_new() to weft_scope_free(); the memory until its last child has been freed
 * as well.
 *
 *   c  constant after weft_scope_new()
 *   l  under lock
 *   p  under the parent's lock
 *   x  rules at the field
 */
struct weft_scope {
	struct wf_scope_base base;	/* x  written under lock; edges C1, C2. Must be first */
	struct wf_lock lock;		/* after the parent's, before those of children */
	_Atomic uint32_t refs;		/* x  its user's, and one for each child */
	bool is_linked;			/* p  stands among its parent's children */

	struct weft_scope *parent;	/* c  or NULL: the root */
	struct weft_scope *children;	/* l  newest first; once cancelled, those to walk yet */
	struct weft_scope *walked;	/* l  children that are cancelled with all below them */
	struct weft_scope *next;	/* p  sibling */
	struct weft_scope **at;		/* p  what points at it on its list */

	struct g *goroutines;		/* l  those that have begun; once cancelled, the same */
	struct g *told;			/* l  those whose wait, if any, a cancellation has ended */
	uint64_t ngoroutines;		/* l  started and not ended; more than are on the lists */
	uint64_t limit;			/* l  of ngoroutines; UINT64_MAX: none */
	struct waitq starters;		/* l  for ngoroutines to be below limit */
	struct waitq waiters;		/* l  for ngoroutines to be 0 */
	int result;			/* l  the first non-zero one of a goroutine */

	int err;			/* l  until settled, then constant */
	int cause;			/* l  the same */
	weft_chan *done;		/* l  or NULL: nobody has asked for it yet */
	struct waitq done_taken;	/* l  who waited on done when it was closed: the same */

	int64_t deadline;		/* c  its own or an ancestor's, whichever is earlier */
	struct wf_timer timer;		/* x  armed in weft_scope_new() for its own deadline */
	_Atomic(struct value *) values;	/* x  edge V1 in value.c */
};

_Static_assert(offsetof(struct weft_scope, base) == 0, "wf_scope_is_cancelled() casts");

/* The user's scope without its const: to lock a thing is no change of it. */
static inline struct weft_scope *
scope_unconst(const weft_scope *s)
{
	return (struct weft_scope *)(uintptr_t)s;
}

/* Under the lock: nobody is in the middle of cancelling. */
static inline bool
scope_is_live_locked(const struct weft_scope *s)
    WF_HOLDS(s->lock)
{
	return wf_load_relaxed(&s->base.cancelled) == SCOPE_LIVE;	/* written under our lock */
}

/* ---- Lists of goroutines, under the lock ---- */

static inline void
wf_scope_list_put(struct g **list, struct g *g)
{
	g->scope_next = *list;
	if (g->scope_next != NULL)
		g->scope_next->scope_at = &g->scope_next;
	g->scope_at = list;
	*list = g;
}

static inline void
wf_scope_list_remove(struct g *g)
{
	*g->scope_at = g->scope_next;
	if (g->scope_next != NULL)
		g->scope_next->scope_at = g->scope_at;
	g->scope_next = NULL;
	g->scope_at = NULL;
}

/* Panics for the root where a scope is needed. Inside the runtime. */
void wf_scope_need(const struct weft_scope *s, const char *function);

/* ---- cancel.c; all inside the runtime ---- */

/* Puts s among its parent's children, or cancels it if the parent is cancelled. */
void wf_scope_link(struct weft_scope *s);
void wf_scope_unlink(struct weft_scope *s);

/* K1-K3 for s alone, unless it is cancelled already. Under the lock of s, and any others above. */
void wf_scope_mark_locked(struct weft_scope *s, int err, int cause) WF_HOLDS(s->lock);

/* K4-K9, for s, which is marked. When it returns all waits in s and below have been ended. No lock
 * may be held. */
WF_PARKS void wf_scope_finish_cancel(struct weft_scope *s);

/* Both. Had it no goroutines when it was marked? Then it will have none. */
WF_PARKS bool wf_scope_cancel(struct weft_scope *s, int err, int cause);

/* struct wf_timer.fire of a scope's deadline. */
int64_t wf_scope_expire(struct wf_timer *t, int64_t now, struct gqueue *ready);

/* ---- scope.c ---- */

/* One reference less; the last frees s. The reference of s to its parent goes with it. */
void wf_scope_unref(struct weft_scope *s);

/* ---- group.c ---- */

/* Waits until the scope has no goroutines: their first non-zero result, or why not. */
WF_PARKS int wf_scope_wait(struct weft_scope *s, int64_t deadline, bool cancellable);

/* ---- value.c ---- */

void wf_scope_values_free(struct weft_scope *s);

#endif /* WEFT_SCOPE_SCOPE_H */
