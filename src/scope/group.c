/*
 * The goroutines of a scope: starting them, their results, their end, and waiting for it.
 * README.md, "Goroutines". Knows nothing of the tree.
 */
#include "scope/scope.h"

#include "base/assert.h"
#include "base/compiler.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sched/self.h"

#include <errno.h>

/* What the goroutine is given, as its own copy. The function first: GF_WRAPPED. */
struct call {
	int (*fn)(void *);
	void *arg;
};

/* ---- Coming and going ---- */

/* G5, under the lock: starters that wait go as far as the limit lets them. Each has its place. */
static void
admit_starters_locked(struct weft_scope *s, struct gqueue *ready)
    WF_HOLDS(s->lock)
{
	struct waiter *w;

	while (s->ngoroutines < s->limit && scope_is_live_locked(s)
	    && (w = waitq_take(&s->starters)) != NULL) {
		if (!wf_claim(w, 0))
			continue;
		s->ngoroutines++;
		w->n = 1;
		gqueue_put(ready, w->g);
	}
}

/* G4. One goroutine less, under the lock. After the unlock that follows, s may be freed. */
static void
one_less_locked(struct weft_scope *s, struct gqueue *ready)
    WF_HOLDS(s->lock)
{
	struct waiter *w;

	WF_CHECK(s->ngoroutines > 0);
	s->ngoroutines--;
	admit_starters_locked(s, ready);
	if (s->ngoroutines > 0)
		return;
	while ((w = waitq_take(&s->waiters)) != NULL) {
		if (!wf_claim(w, 0))
			continue;
		/* Told here, because the waiter may find the scope gone. */
		w->n = (uint32_t)s->result;
		gqueue_put(ready, w->g);
	}
}

/* G2. From now on a cancellation ends g's waits. */
static void
join(struct g *g, struct weft_scope *s)
{
	wf_lock(&s->lock);
	wf_scope_list_put(&s->goroutines, g);
	wf_unlock(&s->lock);
}

void
wf_scope_leave(struct g *g)
{
	struct weft_scope *s = g->scope;
	struct gqueue ready = {0};

	wf_race_release(&s->waiters);
	WF_POINT("scope.leaving");
	wf_lock(&s->lock);
	wf_scope_list_remove(g);
	g->scope = NULL;
	one_less_locked(s, &ready);
	wf_unlock(&s->lock);
	if (ready.head != NULL)
		wf_ready_all(&ready);
}

/* G3. A goroutine's function has failed. The first to do so speaks for all. */
static WF_PARKS void
fail(struct weft_scope *s, int result)
{
	wf_lock(&s->lock);
	if (s->result == 0)
		s->result = result;
	wf_scope_mark_locked(s, -ECANCELED, result);
	wf_unlock(&s->lock);
	wf_scope_finish_cancel(s);
}

/* The goroutine's function. Its end, by whatever way, is wf_scope_leave(), which the core calls. */
static WF_PARKS void
run(void *arg)
{
	struct call *call = arg;
	int result;

	wf_enter();
	join(wf_g(), wf_g()->scope);
	wf_leave();

	result = call->fn(call->arg);
	if (result == 0)
		return;

	wf_enter();
	fail(wf_g()->scope, result);
	wf_leave();
}

/* G1: a place among the goroutines of s. 0, or why there is none. */
static WF_PARKS int
take_place(struct weft_scope *s, int64_t deadline)
{
	bool is_live, has_place;
	struct waiter w;
	int r;

	wf_lock(&s->lock);
	is_live = scope_is_live_locked(s);
	has_place = is_live && s->ngoroutines < s->limit && s->starters.head == NULL;
	if (has_place)
		s->ngoroutines++;
	r = is_live ? 0 : -ECANCELED;
	if (is_live && !has_place)
		r = wf_park_check(deadline, /* cancellable */ true);
	if (has_place || r < 0) {
		wf_unlock(&s->lock);
		return r;
	}
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	waitq_put(&s->starters, &w);
	r = wf_park_unlock(&s->lock, WAIT_SCOPE_GO, deadline, /* cancellable */ true);
	if (r < 0) {
		wf_lock(&s->lock);
		waitq_remove(&s->starters, &w);
		wf_unlock(&s->lock);
		return r;
	}
	/* Told, because a cancelled scope may be gone. */
	return w.n != 0 ? 0 : -ECANCELED;
}

static WF_PARKS int
start(weft_scope *s, int (*fn)(void *), void *arg, int64_t deadline, uintptr_t caller_pc)
{
	struct call call = {fn, arg};
	struct wf_go_args args = {
		.fn = run,
		.scope = s,
		.copy = &call,
		.copy_size = sizeof(call),
		.is_wrapper = true,
		.caller_pc = caller_pc,
	};
	struct gqueue ready = {0};
	int r;

	if (fn == NULL)
		wf_fatal("go of nil func value");
	r = take_place(s, deadline);					/* G1 */
	if (r < 0)
		return r;
	r = wf_go(&args);
	if (r < 0) {
		wf_lock(&s->lock);
		one_less_locked(s, &ready);
		wf_unlock(&s->lock);
		wf_ready_all(&ready);
	}
	wf_yield_if_crowded();
	return r;
}

WF_API_PARKS int
weft_scope_go(weft_scope *s, int (*fn)(void *), void *arg)
{
	int r;

	wf_enter();
	wf_scope_need(s, "weft_scope_go");
	r = start(s, fn, arg, WEFT_FOREVER, (uintptr_t)__builtin_return_address(0));
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_scope_go_until(weft_scope *s, int (*fn)(void *), void *arg, int64_t deadline)
{
	int r;

	wf_enter();
	wf_scope_need(s, "weft_scope_go_until");
	r = start(s, fn, arg, deadline, (uintptr_t)__builtin_return_address(0));
	wf_leave();
	return r;
}

WF_API_PARKS void
weft_scope_set_limit(weft_scope *s, int64_t n)
{
	struct gqueue ready = {0};
	uint64_t active;

	wf_enter();
	wf_scope_need(s, "weft_scope_set_limit");
	wf_lock(&s->lock);
	active = s->ngoroutines;
	if (active == 0) {
		s->limit = n < 0 ? UINT64_MAX : (uint64_t)n;
		admit_starters_locked(s, &ready);
	}
	wf_unlock(&s->lock);
	if (active != 0)
		wf_panic("weft_scope_set_limit: modify limit while %llu goroutines in the scope "
		    "are still active", (unsigned long long)active);
	wf_ready_all(&ready);
	wf_leave();
}

/* ---- Waiting ---- */

WF_PARKS int
wf_scope_wait(struct weft_scope *s, int64_t deadline, bool cancellable)
{
	struct waiter w;
	int r;

	wf_lock(&s->lock);
	r = s->ngoroutines == 0 ? s->result : wf_park_check(deadline, cancellable);
	if (s->ngoroutines == 0 || r < 0) {
		if (s->ngoroutines == 0)
			wf_race_acquire(&s->waiters);
		wf_unlock(&s->lock);
		return r;
	}
	wf_waiter_init(&w, deadline, cancellable);
	waitq_put(&s->waiters, &w);
	r = wf_park_unlock(&s->lock, WAIT_SCOPE, deadline, cancellable);
	if (r < 0) {
		wf_lock(&s->lock);
		waitq_remove(&s->waiters, &w);
		wf_unlock(&s->lock);
		return r;
	}
	wf_race_acquire(&s->waiters);
	return (int)(uint32_t)w.n;
}

WF_API_PARKS int
weft_scope_wait(weft_scope *s, int64_t deadline)
{
	int r;

	wf_enter();
	wf_scope_need(s, "weft_scope_wait");
	r = wf_scope_wait(s, deadline, /* cancellable */ true);
	wf_leave();
	return r;
}
