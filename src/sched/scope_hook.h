/*
 * The little that the scheduler needs to know of scopes: is a goroutine's scope cancelled,
 * and who must hear that a goroutine has ended. Scopes themselves are in scope/, above.
 */
#ifndef WEFT_SCHED_SCOPE_HOOK_H
#define WEFT_SCHED_SCOPE_HOOK_H

#include "base/atomic.h"
#include "sched/g.h"

/*
 * The first member of struct weft_scope.
 *
 *   C1  cancelled: seq_cst store in wf_scope_mark_locked -> seq_cst load in wf_scope_is_cancelled
 *       One half of a store-and-look on both sides: the canceller marks the scope and then
 *       looks at each goroutine's ticket, a goroutine that parks publishes its ticket and
 *       then looks at the mark. In the single order of seq_cst one of the two sees the
 *       other, so no goroutine sleeps through the cancellation of its scope. Weaker orders
 *       would let both look too early.
 */
struct wf_scope_base {
	_Atomic uint32_t cancelled;	/* enum scope_state in scope/scope.h; 0 = not */
};

/* Must the waits of a goroutine in s end? s may be NULL: the root, never cancelled. */
static inline bool
wf_scope_is_cancelled(const struct weft_scope *s)
{
	const struct wf_scope_base *base = (const void *)s;

	return base != NULL && wf_load_seqcst(&base->cancelled) != 0;	/* C1 */
}

/*
 * Tells the scope of g that g has ended. Called once for a goroutine with a scope, between
 * wf_enter() and wf_leave(), on g itself, after its last deferred call and so after its last
 * wait, whether fn returned or called weft_goexit(). Sets g->scope to NULL: the scope may be
 * freed at any time from then on.
 */
void wf_scope_leave(struct g *g);

#endif /* WEFT_SCHED_SCOPE_HOOK_H */
