/*
 * Parking, claiming, readying. README.md, "Waking", W1-W6; the API is park.h.
 */
#include "sched/park.h"

#include "os/moment.h"
#include "os/os.h"
#include "sched/panic.h"
#include "sched/scope_hook.h"
#include "sched/switch.h"

#include <errno.h>
#include <stdio.h>

int
wf_park_check_slow(struct g *g, int64_t deadline, bool cancellable)
{
	if (wf_can_cancel(g, cancellable) && wf_scope_is_cancelled(g->scope))
		return -ECANCELED;
	if (deadline != WEFT_FOREVER && (deadline <= 0 || deadline <= wf_os_now()))
		return -ETIMEDOUT;
	return 0;
}

bool
wf_claim_ticket(struct g *g, uint64_t ticket, int result)
{
	return wf_claim_ticket_here(g, ticket, result);			/* W4 */
}

void
wf_ready(struct g *g)
{
	struct m *m = wf_self();

	if (wf_load_relaxed(&g->status) == G_WAITING)	/* not new */
		WF_EVENT(ready, m, g);
	wf_store_relaxed(&g->status, G_RUNNABLE);
	if (wf_unlikely(wf_load_relaxed(&g->flags) & GF_BOUND)) {
		wf_note_wake(&g->m->note);
		return;
	}
	wf_put_ready(m, g);
}

void
wf_ready_all(struct gqueue *q)
{
	if (q->n == 1)
		wf_ready(gqueue_take(q));
	else if (q->n != 0)
		wf_inject(q, INJECT_HERE);
}

/* The timer of a wait with a deadline. On the waiter's frame. */
struct deadline_timer {
	struct wf_timer t;
	struct g *g;
	uint64_t ticket;
};

static int64_t
deadline_passed(struct wf_timer *t, int64_t now, struct gqueue *ready)
{
	struct deadline_timer *d = wf_container_of(t, struct deadline_timer, t);

	(void)now;
	if (wf_claim_ticket(d->g, d->ticket, -ETIMEDOUT))
		gqueue_put(ready, d->g);
	return INT64_MAX;
}

void
wf_stack_overflowed(uint64_t goid, const struct wf_stack *s)
{
	char who[48] = "a goroutine that has ended";

	if (goid != 0)
		snprintf(who, sizeof(who), "goroutine %llu", (unsigned long long)goid);
	wf_fatal("stack overflow: %s ran over its stack of %zu bytes; %s", who,
	    (size_t)(s->hi - s->lo), s->hi - s->lo <= WEFT_STACK_SMALL
	        ? "WEFT_STACK_SMALL is too small for it"
	        : "raise it with WEFT_STACK or weft_go_options.stack_size");
}

/* Is the canary at the end of g's stack gone? Only where it has no guard. */
static WF_ALWAYS_INLINE void
check_canary(struct g *g)
{
	if (wf_unlikely(g->stack != NULL && g->stack->has_canary && !wf_stack_canary_ok(g->stack)))
		wf_stack_overflowed(wf_load_relaxed(&g->id), g->stack);
}

/* Waiting of a goroutine that is bound to a foreign thread: the thread itself sleeps. */
static void
park_bound(struct m *m, struct g *g, const struct commit *c)
{
	bool forever = c->deadline == WEFT_FOREVER;

	bool by_itself = false;

	wf_ctx_here(&g->ctx);	/* for dumps: nothing ever switches to it */
	WF_EVENT(leave, m, g, EVENT_PARK);
	wf_store_relaxed(&g->status, G_WAITING);
	wf_store_seqcst(&g->wait, c->ticket);
	commit_unlock(c);
	wf_want_poller();
	if (forever) {
		/* One that waits with a deadline wakes by itself: the program is not dead. */
		wf_lock(&wf_sched.lock);
		wf_sched.n_foreign_parked++;
		if (wf_load_acquire(&m->note) == 0)
			wf_check_dead_locked();
		wf_unlock(&wf_sched.lock);
	}
	wf_rest_begin(m);
	while (wf_load_acquire(&m->note) == 0) {			/* N1 */
		int r = wf_os_futex_wait(&m->note, 0, c->deadline);

		/* If the claim is lost, whoever won it will set the note. */
		by_itself = r == -ETIMEDOUT && wf_claim_ticket(g, c->ticket, -ETIMEDOUT);
		if (by_itself)
			break;
	}
	wf_rest_end(m);
	if (forever) {
		/*
		 * Before the note is cleared: one of both tells the deadlock detector that we
		 * are awake.
		 */
		wf_lock(&wf_sched.lock);
		wf_sched.n_foreign_parked--;
		wf_unlock(&wf_sched.lock);
	}
	wf_store_relaxed(&m->note, 0);	/* the M may serve a thread of ours one day */
	WF_EVENT(bound_wakes, m, g, by_itself);
	wf_store_relaxed(&g->status, G_RUNNING);
}

/* Leaves the goroutine's stack for whatever is to run next on this thread. */
static WF_ALWAYS_INLINE void
leave(struct m *m, struct g *g)
{
	struct g *next;

	check_canary(g);
	/*
	 * The object's lock is held until the commit. So nothing that takes such locks may be done
	 * here: when it is time to ask the poller and the timers, the thread's own stack does it.
	 */
	next = wf_unlikely(wf_load_relaxed(&g->locked) != 0 || wf_pick_would_look(m->p))
	    ? NULL
	    : wf_pick_local(m);
	if (wf_likely(next != NULL && wf_load_relaxed(&next->locked) == 0)) {
		switch_to_g(m, g, next);
	} else {
		m->picked = next;
		wf_switch_to_g0(m, g);
	}
}

static WF_COLD void
die_in_handler(const struct m *m, uintptr_t here, enum wf_wait_reason reason)
{
	if (wf_os_sigaltstack_has(m->sigstack, SIGSTACK_BYTES, here))
		wf_fatal("wait in a signal handler (%s); let the handler set a flag, or take the "
		    "signal in a goroutine by weft_signal_notify()", wf_wait_reason_name(reason));
}

/*
 * Is this a signal handler, on the signal stack that we gave the thread? Others would run on that
 * stack while this one waits. A handler on a goroutine's own stack looks like any other call. A
 * subtraction tells nearly all waits from those that are worth a closer look.
 */
static WF_ALWAYS_INLINE void
check_not_in_handler(const struct m *m, enum wf_wait_reason reason)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (wf_unlikely(
	    here - (uintptr_t)m->sigstack < SIGSTACK_BYTES + WF_OS_SIGALTSTACK_EXTRA))
		die_in_handler(m, here, reason);
}

/* Fills m's commit for a wait of g (W1). Sets but for solo waits the rest itself. */
static WF_ALWAYS_INLINE struct commit *
begin(struct m *m, struct g *g, void (*unlock)(void *), void *arg, enum wf_wait_reason reason)
{
	struct commit *c = &m->commit;

	check_not_in_handler(m, reason);
	wf_store_relaxed(&g->wait_reason, reason);
	wf_store_relaxed(&g->since, wf_load_relaxed(&wf_sched.now_coarse));
	c->g = g;
	c->unlock = unlock;
	c->arg = arg;
	m->gate.left_for = reason;
	c->ticket = wf_load_relaxed(&g->wait) + 1;			/* W1 */
	c->complex = false;
	c->kind = COMMIT_PARK;
	return c;
}

/* W3: it was woken before its commit was over, which still uses its frame. */
static WF_NOINLINE void
await_commit(struct g *g)
{
	for (int i = 0; wf_load_acquire(&g->committing); i++)
		wf_moment(i);
}

/* A wait that has a deadline or can be cancelled, or is the first after one that could. */
static WF_PARKS int
park_complex(void (*unlock)(void *), void *arg, enum wf_wait_reason reason, int64_t deadline,
    bool cancellable)
{
	struct m *m = wf_self();
	struct g *g = m->gate.g;
	struct commit *c = begin(m, g, unlock, arg, reason);
	struct deadline_timer d;
	bool timed = deadline != WEFT_FOREVER;
	uint8_t flags = wf_load_relaxed(&g->flags);

	c->cancellable = cancellable;
	c->complex = timed || cancellable;
	c->deadline = deadline;
	c->timer = NULL;
	if (wf_unlikely(flags & GF_BOUND)) {
		c->kind = COMMIT_NONE;
		park_bound(m, g, c);
		return g->wait_result;
	}
	/* Every wait says it anew, solo ones too: the last one's answer must not end this one. */
	if (wf_unlikely(cancellable != ((flags & GF_CANCELLABLE) != 0)))
		wf_store_relaxed(&g->flags, (uint8_t)(flags ^ GF_CANCELLABLE));	/* ordered by W3 */
	if (c->complex)
		wf_store_relaxed(&g->committing, 1);	/* else nobody looks at it */
	if (timed) {
		wf_store_relaxed(&d.t.home, NULL);
		d.t.fire = deadline_passed;
		d.g = g;
		d.ticket = c->ticket;
		c->timer = &d.t;
	}
	WF_PROBE2(park, WF_PROBE_U64(&g->id), (int)reason);
	leave(m, g);							/* W2 */

	await_commit(g);
	if (timed)
		(void)wf_timer_disarm(&d.t);
	return g->wait_result;
}

/* A wait that a profile or the like wants to hear of. */
static WF_PARKS WF_COLD int
park_heard(void (*unlock)(void *), void *arg, enum wf_wait_reason reason, int64_t deadline,
    bool cancellable)
{
	int64_t began = wf_wait_begins(reason);
	int r = park_complex(unlock, arg, reason, deadline, cancellable);

	if (began != 0)
		wf_profile_waited(reason, began);
	return r;
}

WF_PARKS int
wf_park(void (*unlock)(void *), void *arg, enum wf_wait_reason reason, int64_t deadline,
    bool cancellable)
{
	struct m *m = wf_self();
	struct g *g = m->gate.g;

	cancellable = wf_can_cancel(g, cancellable);
	if (WF_WAITS_ARE_HEARD())
		return park_heard(unlock, arg, reason, deadline, cancellable);
	if (wf_unlikely(deadline != WEFT_FOREVER || cancellable ||
	    wf_load_relaxed(&g->flags) & (GF_BOUND | GF_CANCELLABLE)))
		return park_complex(unlock, arg, reason, deadline, cancellable);
	(void)begin(m, g, unlock, arg, reason);
	WF_PROBE2(park, WF_PROBE_U64(&g->id), (int)reason);
	leave(m, g);							/* W2 */
	return wf_returns_from(reason, g->wait_result);
}

WF_PARKS int
wf_park_for_lock(struct wf_lock *l, enum wf_wait_reason reason, int64_t deadline)
    WF_HANDS_OVER("as in wf_park_unlock()")
{
#ifndef WF_SMALL	/* a model that tries all interleavings need not count these */
	int64_t began = wf_metrics_lock_wait();
#else
	int64_t began = 0;
#endif
	int r = wf_park(NULL, l, reason, deadline, /* cancellable */ false);

	if (began != 0)
		wf_metrics_lock_waited(began);
	return r;
}

WF_PARKS void
wf_yield(void)
{
	struct m *m = wf_self();
	struct g *g = m->gate.g, *next;

	if (wf_load_relaxed(&g->flags) & GF_BOUND) {
		wf_os_thread_yield();
		return;
	}
	m->commit.kind = COMMIT_YIELD;
	m->commit.g = g;
	if (wf_unlikely(wf_load_relaxed(&g->locked) != 0)) {
		/*
		 * Its thread may run nobody else: it queues up for everybody, and hands its P
		 * on.
		 */
		m->commit.kind = COMMIT_GLOBAL;
		wf_pick_in_turn(m->p);						/* E3 */
		wf_switch_to_g0(m, g);
		return;
	}
	check_canary(g);
	if (wf_pick_needs_room(m->p, g)) {
		wf_pick_in_turn(m->p);						/* E3 */
		wf_switch_to_g0(m, g);
		return;
	}
	next = wf_pick_local(m);
	if (next == NULL && !wf_p_must_retire(m->p)) {
		/*
		 * Nobody else here: go on. If this is a loop that waits, let the kernel run
		 * others.
		 */
		m->commit.kind = COMMIT_NONE;
		wf_store_relaxed(&m->p->schedtick, wf_load_relaxed(&m->p->schedtick) + 1);
		if (wf_load_relaxed(&m->p->picks) % POLL_PICKS == 0)
			wf_os_thread_yield();
	} else if (next == NULL) {
		wf_switch_to_g0(m, g);
	} else if (wf_unlikely(wf_load_relaxed(&next->locked) != 0)) {
		m->picked = next;
		wf_switch_to_g0(m, g);
	} else {
		switch_to_g(m, g, next);
	}
}

void
wf_cancel_wait(struct g *g, struct gqueue *q)
{
	/* W6: seq_cst; wf_commit_complex, the other half, publishes and then looks at the mark. */
	uint64_t ticket = wf_load_seqcst(&g->wait);

	if ((ticket & 1) == 0 || !(wf_load_relaxed(&g->flags) & GF_CANCELLABLE))
		return;
	if (wf_claim_ticket(g, ticket, -ECANCELED))
		gqueue_put(q, g);
}

uint32_t
wf_rand_fast(void)
{
	return wf_rand_u32(&wf_self()->rand);
}
