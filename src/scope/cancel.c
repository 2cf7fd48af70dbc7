/*
 * The tree of scopes, and cancelling: README.md, "Cancelling". Knows nothing of how goroutines
 * start and end, only which ones may be waiting.
 */
#include "scope/scope.h"

#include "base/assert.h"
#include "base/compiler.h"
#include "chan/chan.h"
#include "sched/self.h"

#include <errno.h>

/* ---- The tree ---- */

void
wf_scope_link(struct weft_scope *s)
{
	struct weft_scope *parent = s->parent;

	wf_lock(&parent->lock);
	if (scope_is_live_locked(parent)) {
		s->next = parent->children;
		if (s->next != NULL)
			s->next->prev = s;
		parent->children = s;
		s->is_linked = true;
	} else {
		/* Nobody else knows s yet: no need of its lock. */
		s->err = parent->err;
		s->cause = parent->cause;
		wf_store_seqcst(&s->base.cancelled, SCOPE_SETTLED);	/* C2 */
	}
	wf_unlock(&parent->lock);
}

void
wf_scope_unlink(struct weft_scope *s)
{
	struct weft_scope *parent = s->parent;

	if (parent == NULL)
		return;
	wf_lock(&parent->lock);
	if (s->is_linked) {
		if (s->prev != NULL)
			s->prev->next = s->next;
		else
			parent->children = s->next;
		if (s->next != NULL)
			s->next->prev = s->prev;
		s->is_linked = false;
	}
	wf_unlock(&parent->lock);
}

/* ---- Cancelling ---- */

/* K1-K4 for one scope, locked. False if it was cancelled before, and so all below it. */
static bool
cancel_one_locked(struct weft_scope *s, int err, int cause, struct gqueue *ready)
{
	struct g *g;

	if (!scope_is_live_locked(s))
		return false;
	s->err = err;
	s->cause = cause;
	wf_store_seqcst(&s->base.cancelled, SCOPE_CANCELLING);		/* K1, C1 */
	for (g = s->goroutines; g != NULL; g = g->scope_next)
		wf_cancel_wait(g, ready);				/* K2 */
	WF_POINT("scope.cancelling");
	if (s->done != NULL)
		wf_chan_close_collect(s->done, ready);			/* K3 */
	wf_store_seqcst(&s->base.cancelled, SCOPE_SETTLED);		/* K4, C2 */
	return true;
}

void
wf_scope_cancel_locked(struct weft_scope *top, int err, int cause, struct gqueue *ready)
{
	struct weft_scope *s = top;
	struct weft_scope *next;

	for (;;) {
		/* s and all scopes from top to it are locked. */
		next = cancel_one_locked(s, err, cause, ready) ? s->children : NULL;
		while (next == NULL) {
			struct weft_scope *left = s;

			if (left == top) {
				wf_unlock(&top->lock);
				return;
			}
			/* Its parent's lock, which we have, keeps left from being freed. */
			next = left->next;
			s = left->parent;
			wf_unlock(&left->lock);
		}
		s = next;
		wf_lock(&s->lock);
	}
}

void
wf_scope_cancel(struct weft_scope *s, int err, int cause)
{
	struct gqueue ready = {0};

	wf_lock(&s->lock);
	wf_scope_cancel_locked(s, err, cause, &ready);
	wf_timer_disarm(&s->timer);
	if (ready.head != NULL)
		wf_ready_all(&ready);
}

int64_t
wf_scope_expire(struct wf_timer *t, int64_t now, struct gqueue *ready)
{
	struct weft_scope *s = wf_container_of(t, struct weft_scope, timer);

	(void)now;
	wf_lock(&s->lock);
	wf_scope_cancel_locked(s, -ETIMEDOUT, -ETIMEDOUT, ready);
	return INT64_MAX;
}

void
weft_scope_cancel(weft_scope *s, int cause)
{
	wf_enter();
	wf_scope_need(s, "weft_scope_cancel");
	/* Go: a nil cause means the error itself. */
	wf_scope_cancel(s, -ECANCELED, cause != 0 ? cause : -ECANCELED);
	wf_leave();
}
