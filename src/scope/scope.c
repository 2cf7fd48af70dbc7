/*
 * The life of a scope, and what can be asked of it. Knows neither how cancelling goes through
 * the tree (cancel.c) nor how goroutines come and go (group.c).
 */
#include "scope/scope.h"

#include "base/compiler.h"
#include "chan/chan.h"
#include "os/os.h"
#include "sched/panic.h"
#include "sched/self.h"

#include <errno.h>
#include <stdlib.h>

void
wf_scope_need(const struct weft_scope *s, const char *function)
{
	if (wf_unlikely(s == NULL))
		wf_panic("%s: nil scope", function);
}

/* ---- Life ---- */

/*
 * The parent may be cancelled just now, and its canceller have come by before there was a timer to
 * take back (K7). The fence is our half of C4: a timer that is not its heap's first is armed
 * without any.
 */
static void
arm(struct weft_scope *s, int64_t deadline)
{
	wf_timer_arm(&s->timer, deadline);
	wf_fence_seqcst();						/* C4 */
	if (wf_unlikely(wf_scope_is_cancelled(s)))
		(void)wf_timer_disarm(&s->timer);
}

WF_API_PARKS weft_scope *
weft_scope_new(weft_scope *parent, int64_t deadline)
{
	struct weft_scope *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	wf_enter();
	if (parent == NULL)
		parent = wf_g()->scope;
	wf_store_relaxed(&s->refs, 1u);		/* nobody else has it yet */
	s->parent = parent;
	s->deadline = parent != NULL ? wf_min(deadline, parent->deadline) : deadline;
	s->timer.fire = wf_scope_expire;
	s->limit = UINT64_MAX;
	if (parent != NULL) {
		/* Relaxed: whoever passes the parent keeps it alive meanwhile. */
		wf_add_relaxed(&parent->refs, 1u);
		wf_scope_link(s);
	}
	/* An ancestor whose deadline is not later cancels us with the same words. */
	if (deadline != WEFT_FOREVER && (parent == NULL || deadline < parent->deadline)) {
		if (deadline <= wf_os_now())
			(void)wf_scope_cancel(s, -ETIMEDOUT, -ETIMEDOUT);
		else if (!wf_scope_is_cancelled(s))
			arm(s, deadline);
	}
	wf_leave();
	return s;
}

void
wf_scope_unref(struct weft_scope *s)
{
	while (s != NULL) {
		struct weft_scope *parent = s->parent;

		wf_race_release(&s->refs);
		/*
		 * Edge C3: what the other owners did to s is over before it is freed. Who has the
		 * only reference need not take it away first: nobody is left who could take one.
		 */
		if (wf_load_acquire(&s->refs) != 1			/* C3 */
		    && wf_sub_acqrel(&s->refs, 1u) != 1)		/* C3 */
			return;
		wf_race_acquire(&s->refs);
		wf_scope_values_free(s);
		weft_chan_unref(s->done);
		free(s);
		s = parent;
	}
}

WF_API_PARKS void
weft_scope_free(weft_scope *s)
{
	if (s == NULL)
		return;
	wf_enter();
	if (wf_g()->scope == s)
		wf_panic("weft_scope_free: called in a goroutine of the scope, "
		    "for which it would wait");
	if (wf_scope_cancel(s, -ECANCELED, -ECANCELED))			/* F1 */
		wf_race_acquire(&s->waiters);	/* what wf_scope_wait() would say */
	else
		wf_scope_wait(s, WEFT_FOREVER, /* cancellable */ false);	/* F2 */
	wf_scope_unlink(s);						/* F3 */
	wf_leave();
	wf_scope_unref(s);
}

/* ---- Questions ---- */

WF_API_PARKS weft_scope *
weft_scope_current(void)
{
	weft_scope *s;

	wf_enter();
	s = wf_g()->scope;
	wf_leave();
	return s;
}

/* Is s cancelled, and its err and cause final? */
static bool
is_settled(const weft_scope *s)
{
	uint32_t state;

	if (s == NULL)
		return false;
	state = wf_load_acquire(&s->base.cancelled);			/* C2 */
	if (state == SCOPE_CANCELLING) {
		/* Its canceller has the lock until it is settled. */
		wf_enter();
		wf_lock(&scope_unconst(s)->lock);
		wf_unlock(&scope_unconst(s)->lock);
		wf_leave();
	}
	if (state != SCOPE_LIVE)
		wf_race_acquire(s);
	return state != SCOPE_LIVE;
}

int
weft_scope_err(const weft_scope *s)
{
	return is_settled(s) ? s->err : 0;
}

int
weft_scope_cause(const weft_scope *s)
{
	return is_settled(s) ? s->cause : 0;
}

weft_chan *
weft_scope_done(weft_scope *s)
{
	weft_chan *spare, *done;

	/* The root is never cancelled, and a NULL channel is never ready. */
	if (s == NULL)
		return NULL;
	wf_enter();
	wf_lock(&s->lock);
	done = s->done;
	wf_unlock(&s->lock);
	wf_leave();
	if (done != NULL)
		return done;

	spare = wf_chan_new(0, 0, 0);
	if (spare == NULL)
		return NULL;
	wf_enter();
	wf_lock(&s->lock);
	if (s->done == NULL) {
		struct waitq nobody = {0};

		if (!scope_is_live_locked(s))
			(void)wf_chan_close_take(spare, &nobody, &nobody);
		s->done = spare;
		spare = NULL;
	}
	done = s->done;
	wf_unlock(&s->lock);
	wf_leave();
	weft_chan_unref(spare);
	return done;
}
