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

/* What the goroutine is given, as its own copy. */
struct call {
	int (*fn)(void *);
	void *arg;
};

/* ---- Coming and going ---- */

/* G4. One goroutine less, under the lock. After the unlock that follows, s may be freed. */
static void
one_less_locked(struct weft_scope *s, struct gqueue *ready)
{
	struct waiter *w;

	WF_CHECK(s->ngoroutines > 0);
	if (--s->ngoroutines > 0)
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
	g->scope_prev = NULL;
	g->scope_next = s->goroutines;
	if (g->scope_next != NULL)
		g->scope_next->scope_prev = g;
	s->goroutines = g;
	wf_unlock(&s->lock);
}

void
wf_scope_leave(struct g *g)
{
	struct weft_scope *s = g->scope;
	struct gqueue ready = {0};

	WF_POINT("scope.leaving");
	wf_lock(&s->lock);
	if (g->scope_prev != NULL)
		g->scope_prev->scope_next = g->scope_next;
	else
		s->goroutines = g->scope_next;
	if (g->scope_next != NULL)
		g->scope_next->scope_prev = g->scope_prev;
	g->scope_next = g->scope_prev = NULL;
	g->scope = NULL;
	one_less_locked(s, &ready);
	wf_unlock(&s->lock);
	if (ready.head != NULL)
		wf_ready_all(&ready);
}

/* G3. A goroutine's function has failed. The first to do so speaks for all. */
static void
fail(struct weft_scope *s, int result)
{
	struct gqueue ready = {0};

	wf_lock(&s->lock);
	if (s->result == 0)
		s->result = result;
	wf_scope_cancel_locked(s, -ECANCELED, result, &ready);
	wf_timer_disarm(&s->timer);
	if (ready.head != NULL)
		wf_ready_all(&ready);
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

int
weft_scope_go(weft_scope *s, int (*fn)(void *), void *arg)
{
	struct call call = {fn, arg};
	struct wf_go_args args = {
		.fn = run,
		.scope = s,
		.copy = &call,
		.copy_size = sizeof(call),
		.caller_pc = (uintptr_t)__builtin_return_address(0),
	};
	struct gqueue ready = {0};
	int r;

	wf_enter();
	wf_scope_need(s, "weft_scope_go");
	if (fn == NULL)
		wf_fatal("go of nil func value");

	wf_lock(&s->lock);						/* G1 */
	if (!scope_is_live_locked(s)) {
		wf_unlock(&s->lock);
		wf_leave();
		return -ECANCELED;
	}
	s->ngoroutines++;
	wf_unlock(&s->lock);

	r = wf_go(&args);
	if (r < 0) {
		wf_lock(&s->lock);
		one_less_locked(s, &ready);
		wf_unlock(&s->lock);
		if (ready.head != NULL)
			wf_ready_all(&ready);
	}
	wf_leave();
	return r;
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
