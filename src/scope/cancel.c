/*
 * The tree of scopes, and cancelling: README.md, "Cancelling", whose steps are cited here. Knows
 * nothing of how goroutines start and end, only which ones may be waiting.
 */
#include "scope/scope.h"

#include "base/assert.h"
#include "base/compiler.h"
#include "chan/chan.h"
#include "sched/panic.h"
#include "sched/self.h"

#include <errno.h>

/* What is done in one go, under a lock and inside the runtime: about 0.1 ms. */
#ifndef WALK_BATCH	/* the explorer's is small */
#define WALK_BATCH 1000
#endif

/* ---- The tree ---- */

static void
list_put(struct weft_scope **list, struct weft_scope *s)
{
	s->next = *list;
	if (s->next != NULL)
		s->next->at = &s->next;
	s->at = list;
	*list = s;
}

static void
list_remove(struct weft_scope *s)
{
	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
}

void
wf_scope_link(struct weft_scope *s)
{
	struct weft_scope *parent = s->parent;

	wf_lock(&parent->lock);
	if (scope_is_live_locked(parent)) {
		list_put(&parent->children, s);
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
		list_remove(s);
		s->is_linked = false;
	}
	wf_unlock(&parent->lock);
}

/* ---- Cancelling one scope ---- */

void
wf_scope_mark_locked(struct weft_scope *s, int err, int cause)
{
	if (!scope_is_live_locked(s))
		return;
	wf_race_release(s);
	s->err = err;
	s->cause = cause;
	wf_store_seqcst(&s->base.cancelled, SCOPE_CANCELLING);		/* K1, C1 */
	WF_POINT("scope.cancelling");
	if (s->done != NULL)						/* K2 */
		(void)wf_chan_close_take(s->done, &s->done_taken, &s->done_taken);
	wf_store_release(&s->base.cancelled, SCOPE_SETTLED);		/* K3, C2 */
}

static struct weft_scope *
ref(struct weft_scope *s)
{
	/* Relaxed: whoever takes one more has one, or the lock that keeps s where it is. */
	wf_add_relaxed(&s->refs, 1u);
	return s;
}

/* Has it a deadline of its own? */
static bool
may_have_timer(const struct weft_scope *s)
{
	return s->deadline != (s->parent != NULL ? s->parent->deadline : WEFT_FOREVER);
}

/* Marked, has it nothing for a walk to do? Then the walk is over. */
static bool
is_done_with_locked(const struct weft_scope *s)
    WF_HOLDS(s->lock)
{
	return s->goroutines == NULL && s->starters.head == NULL && s->done_taken.head == NULL
	    && s->children == NULL;
}

/* K4, locked: ends at most n waits of s, which is marked. Returns how many may be ended yet. */
static unsigned
end_waits_locked(struct weft_scope *s, unsigned n, struct gqueue *ready)
    WF_HOLDS(s->lock)
{
	struct waiter *w;
	struct g *g;

	for (; n > 0 && (g = s->goroutines) != NULL; n--) {
		wf_scope_list_remove(g);
		wf_scope_list_put(&s->told, g);
		wf_cancel_wait(g, ready);
	}
	for (; n > 0 && (w = waitq_take(&s->starters)) != NULL; n--)
		if (wf_claim(w, 0))	/* told by n = 0 */
			gqueue_put(ready, w->g);
	for (; n > 0 && s->done_taken.head != NULL; n--)
		wf_taken_release(&s->done_taken, 0, 1, ready);
	return n;
}

/* ---- The walk ---- */

/* One canceller on its way through a tree. It holds a reference to where it is, and no lock. */
struct walk {
	struct weft_scope *top;
	struct weft_scope *at;
	bool is_timer;		/* under the lock of a heap: no timer may be disarmed */
};

/* K6. All below k->at is cancelled: back to its parent. */
static void
ascend(struct walk *k)
{
	struct weft_scope *s = k->at;
	struct weft_scope *parent = ref(s->parent);

	wf_lock(&parent->lock);
	if (s->is_linked) {
		list_remove(s);
		list_put(&parent->walked, s);
	}
	wf_unlock(&parent->lock);
	if (!k->is_timer)
		(void)wf_timer_disarm(&s->timer);			/* K7 */
	wf_scope_unref(s);
	k->at = parent;
}

/*
 * K5 for children that are leaves, one after the other, from the lock of their parent: at most n.
 * One that has anything to end, or may have a timer (K7 disarms without a lock), is left to the
 * walk. Returns how many may be gone through yet.
 */
static unsigned
cancel_leaves_locked(struct weft_scope *s, unsigned n)
    WF_HOLDS(s->lock)
{
	struct weft_scope *child;
	bool is_leaf;

	for (; n > 0 && (child = s->children) != NULL; n--) {
		if (may_have_timer(child))
			break;
		wf_lock(&child->lock);
		wf_scope_mark_locked(child, s->err, s->cause);
		is_leaf = is_done_with_locked(child);
		wf_unlock(&child->lock);
		if (!is_leaf)
			break;
		list_remove(child);
		list_put(&s->walked, child);
	}
	return n;
}

/* K4-K7. Does a batch of work; true: there is no more. */
static bool
walk_some(struct walk *k, struct gqueue *ready)
{
	unsigned n = WALK_BATCH;

	for (; n > 0; n--) {
		struct weft_scope *s = k->at, *child = NULL;

		wf_lock(&s->lock);
		if (s != k->top)
			wf_scope_mark_locked(s, s->parent->err, s->parent->cause);
		n = end_waits_locked(s, n, ready);			/* K4 */
		n = cancel_leaves_locked(s, n);				/* K5 */
		if (n > 0 && s->children != NULL)
			child = ref(s->children);			/* K5 */
		wf_unlock(&s->lock);
		if (n == 0)
			return false;
		if (child != NULL) {
			wf_scope_unref(s);
			k->at = child;
			WF_POINT("scope.descending");
		} else if (s == k->top) {
			return true;
		} else {
			ascend(k);
		}
	}
	return false;
}

WF_PARKS void
wf_scope_finish_cancel(struct weft_scope *s)
{
	struct walk k = {s, ref(s), false};
	bool is_over;

	do {
		struct gqueue ready = {0};

		is_over = walk_some(&k, &ready);
		wf_ready_all(&ready);					/* K8 */
		if (!is_over) {
			WF_POINT("scope.batch");
			wf_leave();
			wf_enter();
		}
	} while (!is_over);
	wf_scope_unref(k.at);
	(void)wf_timer_disarm(&s->timer);				/* K7 */
}

WF_PARKS bool
wf_scope_cancel(struct weft_scope *s, int err, int cause)
{
	bool is_over, is_empty;

	wf_lock(&s->lock);
	wf_scope_mark_locked(s, err, cause);
	is_over = is_done_with_locked(s) && !may_have_timer(s);
	is_empty = s->ngoroutines == 0;
	if (!is_over)
		(void)ref(s);		/* who sees the mark may free it */
	wf_unlock(&s->lock);		/* the last touch, if it is over */
	if (is_over)
		return is_empty;
	WF_POINT("scope.marked");
	wf_scope_finish_cancel(s);
	wf_scope_unref(s);
	return is_empty;
}

/* K9: a batch, and again at the next look at the heap, until there is no more. */
int64_t
wf_scope_expire(struct wf_timer *t, int64_t now, struct gqueue *ready)
{
	struct weft_scope *s = wf_container_of(t, struct weft_scope, timer);
	struct walk k = {s, ref(s), true};
	bool is_over;

	wf_lock(&s->lock);
	wf_scope_mark_locked(s, -ETIMEDOUT, -ETIMEDOUT);
	wf_unlock(&s->lock);
	is_over = walk_some(&k, ready);
	wf_scope_unref(k.at);
	return is_over ? INT64_MAX : now + 1;
}

WF_API_PARKS void
weft_scope_cancel(weft_scope *s, int cause)
{
	wf_enter();
	wf_scope_need(s, "weft_scope_cancel");
	if (wf_unlikely(cause > 0))
		wf_panic("weft_scope_cancel: cause is %d, must be a negative errno or 0", cause);
	/* Go: a nil cause means the error itself. */
	(void)wf_scope_cancel(s, -ECANCELED, cause != 0 ? cause : -ECANCELED);
	wf_leave();
}
