/*
 * Scopes (src/scope/README.md, K1-K9, G1-G5, F1-F4): who is told that a scope is cancelled may free
 * it, whoever else is on the way through it; when a cancel returns all below are cancelled; none is
 * born, and nothing starts, behind it. The threads are not weft's: a wait in a goroutine, and its
 * cancellation (C1, W6), are in park.c.
 *
 * model: src/scope/scope.c src/scope/cancel.c src/scope/group.c src/scope/value.c
 * model: src/chan/chan.c src/chan/transfer.c src/chan/taken.c
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1 -DWALK_BATCH=2
 * model: -Dcalloc=model_calloc -Dmalloc=model_malloc -Dfree=model_free
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 */
#include "explore.h"
#include "seam/world.h"

#include "scope/scope.h"
#include "chan/chan.h"
#include "sched/go.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "scope/", "sched/timer.c wf_timer_hold", NULL };

#define DEADLINE 5000
#define SCOPES 4
#define OTHERS 2
#define OTHER_BYTES 512

static struct weft_scope scopes[SCOPES];
static _Alignas(16) char others[OTHERS][OTHER_BYTES];	/* channels, values */
static bool is_taken[SCOPES + OTHERS], is_freed[SCOPES + OTHERS];
static _Atomic unsigned n_scopes, n_others, n_started;
static weft_scope *top, *middle, *leaf, *twin;
static weft_chan *done;
static int n_ran, result;
static int key, thing;	/* of values */

/* ---- Memory: who still touches what was freed races, or finds rubbish ---- */

void *model_calloc(size_t n, size_t bytes);
void *model_malloc(size_t bytes);
void model_free(void *p);

void *
model_calloc(size_t n, size_t bytes)
{
	unsigned i = wf_add_relaxed(&n_scopes, 1u);

	MC_ASSERT(i < SCOPES && n * bytes == sizeof(scopes[0]));
	is_taken[i] = true;
	return &scopes[i];
}

void *
model_malloc(size_t bytes)
{
	unsigned i = wf_add_relaxed(&n_others, 1u);

	MC_ASSERT(i < OTHERS && bytes <= OTHER_BYTES);
	is_taken[SCOPES + i] = true;
	return others[i];
}

void
model_free(void *p)
{
	for (unsigned i = 0; p != NULL && i < SCOPES + OTHERS; i++) {
		void *at = i < SCOPES ? (void *)&scopes[i] : others[i - SCOPES];

		if (at != p)
			continue;
		MC_ASSERT(is_taken[i] && !is_freed[i]);
		is_freed[i] = true;
		memset(p, 0x5a, i < SCOPES ? sizeof(scopes[0]) : OTHER_BYTES);
	}
}

static void
nothing_is_left(void)
{
	for (unsigned i = 0; i < SCOPES + OTHERS; i++)
		MC_ASSERT(is_taken[i] == is_freed[i]);
	MC_ASSERT(world.ps[0].timers.n == 0);
}

/* ---- A goroutine of a scope is a thread of its own ---- */

struct started {
	void (*fn)(void *);
	struct weft_scope *scope;
	char copy[32];
};

static struct started started[2];

static void
goroutine(void *arg)
{
	struct started *s = arg;
	struct g *g;

	world_become_foreign();
	wf_enter();
	g = wf_g();
	g->scope = s->scope;
	wf_leave();
	s->fn(s->copy);
	wf_enter();
	wf_scope_leave(g);						/* G4 */
	wf_leave();
}

int
wf_go(const struct wf_go_args *a)
{
	unsigned i = wf_add_relaxed(&n_started, 1u);
	struct started *s = &started[i];

	MC_ASSERT(i < 2 && a->copy_size <= sizeof(s->copy));
	s->fn = a->fn;
	s->scope = a->scope;
	memcpy(s->copy, a->copy, a->copy_size);
	(void)mc_spawn(goroutine, s);
	return 0;
}

void
wf_yield_if_crowded(void)
{
}

/* What it does, and what it returns. */
static int
runs(void *arg)
{
	n_ran++;
	return arg == NULL ? 0 : -EIO;
}

static int
runs_apart(void *arg)
{
	return arg == NULL ? 0 : -EIO;
}

/* ---- Trees ---- */

static void
begin(void)
{
	world_foreign(5);
	wf_store_relaxed(&wf_sched.last_poll, 0);	/* somebody waits there */
	memset(scopes, 0, sizeof(scopes));
	memset(others, 0, sizeof(others));
	memset(started, 0, sizeof(started));
	memset(is_taken, 0, sizeof(is_taken));
	memset(is_freed, 0, sizeof(is_freed));
	wf_store_relaxed(&n_scopes, 0);
	wf_store_relaxed(&n_others, 0);
	wf_store_relaxed(&n_started, 0);
	top = middle = leaf = twin = NULL;
	done = NULL;
	n_ran = result = 0;
	world_become(world.foreign[0]);
}

static void
one(void)
{
	begin();
	top = weft_scope_new(NULL, WEFT_FOREVER);
}

static void
one_until(void)
{
	begin();
	top = weft_scope_new(NULL, DEADLINE);
}

static void
with_a_leaf(void)
{
	one();
	leaf = weft_scope_new(top, WEFT_FOREVER);
}

static void
with_a_leaf_until(void)
{
	one();
	leaf = weft_scope_new(top, DEADLINE);
}

static void
both_until(void)
{
	one_until();
	leaf = weft_scope_new(top, DEADLINE - 1);
}

/* The leaf is below a scope below top. */
static void
deep(void)
{
	one();
	middle = weft_scope_new(top, WEFT_FOREVER);
	leaf = weft_scope_new(middle, WEFT_FOREVER);
}

static void
deep_until(void)
{
	one_until();
	middle = weft_scope_new(top, WEFT_FOREVER);
	leaf = weft_scope_new(middle, WEFT_FOREVER);
	twin = weft_scope_new(middle, WEFT_FOREVER);
}

static void
one_with_done(void)
{
	one();
	done = weft_scope_done(top);
}

/* One place, which somebody has. */
static void
full(void)
{
	one();
	weft_scope_set_limit(top, 1);
	top->ngoroutines = 1;
}

static void
for_one(void)
{
	one();
	weft_scope_set_limit(top, 1);
}

/* ---- What threads do ---- */

static void
cancel(void)
{
	world_become_foreign();
	weft_scope_cancel(top, -EPIPE);
	world_scribble();
}

static void
free_if_cancelled(void)
{
	world_become_foreign();
	if (weft_scope_err(top) == 0)
		return;
	weft_scope_free(top);
	top = NULL;
}

static void
free_leaf(void)
{
	world_become_foreign();
	weft_scope_free(leaf);
	leaf = NULL;
}

static void
free_top(void)
{
	world_become_foreign();
	weft_scope_free(top);
	top = NULL;
}

/* Whoever was first: there is nothing left that is not cancelled. */
static void
cancel_and_look(void)
{
	world_become_foreign();
	weft_scope_cancel(top, -EPIPE);
	for (weft_scope *s = leaf; s != NULL; s = s->parent)
		MC_ASSERT(weft_scope_err(s) == -ECANCELED && weft_scope_cause(s) == -EPIPE);
}

static void
bear(void)
{
	world_become_foreign();
	leaf = weft_scope_new(top, WEFT_FOREVER);
}

static void
bear_until(void)
{
	world_become_foreign();
	leaf = weft_scope_new(top, DEADLINE);
}

/* A P that comes by its timers at the deadline. */
static void
run_the_heap(void)
{
	struct gqueue ready = { 0 };

	world_become_foreign();
	wf_enter();
	for (int64_t now = DEADLINE; now < DEADLINE + 4; now++)		/* K9 */
		(void)wf_timers_run(&world.ps[0].timers, now, &ready);
	wf_ready_all(&ready);
	wf_leave();
}

/* ---- What is so in the end ---- */

static void
free_all(void)
{
	world_become(world.foreign[0]);
	weft_scope_free(leaf);
	weft_scope_free(twin);
	weft_scope_free(middle);
	weft_scope_free(top);
	nothing_is_left();
}

static void
leaf_is_cancelled(void)
{
	world_become(world.foreign[0]);
	MC_ASSERT(weft_scope_err(leaf) == -ECANCELED && weft_scope_cause(leaf) == -EPIPE);
	MC_ASSERT(wf_load_relaxed(&leaf->timer.home) == NULL);				/* C4 */
	free_all();
}

static void
ended_in_one_way(void)
{
	world_become(world.foreign[0]);
	MC_ASSERT(weft_scope_err(top) != 0);
	MC_ASSERT(weft_scope_cause(top)
	    == (weft_scope_err(top) == -ECANCELED ? -EPIPE : -ETIMEDOUT));
	MC_ASSERT((leaf == NULL || weft_scope_err(leaf) != 0) &&
	    (twin == NULL || weft_scope_err(twin) != 0));
	free_all();
}

/* ---- Cancelled and freed ---- */

SCENARIO(cancelled_and_freed, .threads = { cancel, free_if_cancelled }, .setup = one,
    .check = free_all)
SCENARIO(cancelled_with_a_deadline_and_freed, .threads = { cancel, free_if_cancelled },
    .setup = one_until, .check = free_all)
SCENARIO(two_cancel_and_look, .threads = { cancel_and_look, cancel_and_look }, .setup = deep,
    .check = free_all)
SCENARIO(cancelled_while_a_leaf_is_freed, .threads = { cancel, free_leaf }, .setup = with_a_leaf,
    .check = free_all)
SCENARIO(cancelled_while_a_deep_one_is_freed, .threads = { cancel, free_leaf }, .setup = deep,
    .check = free_all)
SCENARIO(cancelled_while_a_timed_leaf_is_freed, .threads = { cancel, free_leaf },
    .setup = with_a_leaf_until, .check = free_all)
SCENARIO(two_cancel_while_a_leaf_is_freed, .threads = { cancel, cancel, free_leaf },
    .setup = with_a_leaf, .check = free_all)
SCENARIO(freed_in_the_wrong_order, .threads = { free_top, free_leaf }, .setup = with_a_leaf,
    .check = nothing_is_left)
SCENARIO(born_beside_a_cancel, .threads = { cancel, bear }, .setup = one,
    .check = leaf_is_cancelled)
SCENARIO(born_with_a_deadline_beside_a_cancel, .threads = { cancel, bear_until }, .setup = one,
    .check = leaf_is_cancelled)

/* ---- Deadlines ---- */

SCENARIO(a_deadline_meets_a_cancel, .threads = { cancel, run_the_heap }, .setup = one_until,
    .check = ended_in_one_way)
SCENARIO(a_deadline_meets_a_free, .threads = { free_top, run_the_heap }, .setup = one_until,
    .check = nothing_is_left)
SCENARIO(a_deadline_meets_a_cancel_above_a_leaf, .threads = { cancel, run_the_heap },
    .setup = both_until, .check = ended_in_one_way)
SCENARIO(a_deadline_does_two_batches, .threads = { run_the_heap }, .setup = deep_until,
    .check = ended_in_one_way)
SCENARIO(a_deadline_above_meets_a_free, .threads = { free_leaf, run_the_heap },
    .setup = both_until, .check = free_all)

/* ---- Goroutines ---- */

static void
go_and_free(void)
{
	world_become_foreign();
	MC_ASSERT(weft_scope_go(top, runs, NULL) == 0);
	weft_scope_free(top);
	top = NULL;
	MC_ASSERT(n_ran == 1);
	n_ran++;
}

static void
go(void)
{
	world_become_foreign();
	(void)weft_scope_go(top, runs_apart, NULL);
}

/* Whoever was told that there is none any more, or that it is cancelled, may free it. */
static void
go_and_wait(void)
{
	int r;

	world_become_foreign();
	result = weft_scope_go(top, runs, NULL);
	r = weft_scope_wait(top, WEFT_FOREVER);
	MC_ASSERT(r == 0 && n_ran == (result == 0));
	if (result != 0) {
		weft_scope_free(top);
		top = NULL;
	}
}

static void
one_fails(void)
{
	world_become_foreign();
	MC_ASSERT(weft_scope_go(top, runs, &n_ran) == 0);
	MC_ASSERT(weft_scope_wait(top, WEFT_FOREVER) == -EIO);
	MC_ASSERT(weft_scope_err(top) == -ECANCELED && weft_scope_cause(top) == -EIO);
	weft_scope_free(top);
	top = NULL;
}

static void
two_fail(void)
{
	int r;

	world_become_foreign();
	MC_ASSERT(weft_scope_go(top, runs_apart, &key) == 0);
	r = weft_scope_go(top, runs_apart, &key);	/* or the other has failed already */
	MC_ASSERT(r == 0 || r == -ECANCELED);
	MC_ASSERT(weft_scope_wait(top, WEFT_FOREVER) == -EIO);
}

/* What they do is not guarded but by the limit. */
static void
one_after_the_other(void)
{
	world_become_foreign();
	MC_ASSERT(weft_scope_go(top, runs, NULL) == 0);
	MC_ASSERT(weft_scope_go(top, runs, NULL) == 0);
	weft_scope_free(top);
	top = NULL;
	MC_ASSERT(n_ran == 2);
}

static void
is_sent_away(void)
{
	world_become_foreign();
	MC_ASSERT(weft_scope_go(top, runs, NULL) == -ECANCELED);
	world_scribble();
}

static void
the_other_ends(void)
{
	MC_ASSERT(n_ran == 0 && top->starters.head == NULL);
	top->ngoroutines--;
	world_become(world.foreign[0]);
	free_all();
}

SCENARIO(started_and_freed, .threads = { go_and_free }, .setup = one, .check = nothing_is_left)
SCENARIO(started_beside_a_cancel, .threads = { go_and_wait, cancel }, .setup = one,
    .check = free_all)
SCENARIO(two_start_beside_a_cancel, .threads = { go, go, cancel }, .setup = one,
    .check = free_all)
SCENARIO(a_failure_is_told, .threads = { one_fails }, .setup = one, .check = nothing_is_left)
SCENARIO(two_failures, .threads = { two_fail }, .setup = one, .check = free_all)
SCENARIO(one_at_a_time, .threads = { one_after_the_other }, .setup = for_one,
    .check = nothing_is_left)
SCENARIO(who_waits_for_a_place_is_sent_away, .threads = { is_sent_away, cancel }, .setup = full,
    .check = the_other_ends)

/* ---- err, cause and done agree ---- */

static bool
is_closed(weft_chan *c)
{
	return wf_load_acquire(&c->closed);
}

static void
err_and_then_done(void)
{
	if (weft_scope_err(top) != 0)
		MC_ASSERT(weft_scope_cause(top) == -EPIPE && is_closed(done));
}

static void
done_and_then_err(void)
{
	world_become_foreign();
	if (is_closed(done))
		MC_ASSERT(weft_scope_err(top) == -ECANCELED && weft_scope_cause(top) == -EPIPE);
	else
		err_and_then_done();
}

static void
wait_for_done(void)
{
	world_become_foreign();
	MC_ASSERT(weft_chan_recv(done, NULL, WEFT_FOREVER) == 0);
	MC_ASSERT(weft_scope_cause(top) == -EPIPE);
	world_scribble();
}

static void
ask_for_done(void)
{
	world_become_foreign();
	done = weft_scope_done(top);
	err_and_then_done();
}

static void
done_is_closed(void)
{
	MC_ASSERT(is_closed(done));
	free_all();
}

SCENARIO(err_agrees_with_done, .threads = { cancel, done_and_then_err }, .setup = one_with_done,
    .check = done_is_closed)
SCENARIO(who_waits_for_done_is_told, .threads = { cancel, wait_for_done }, .setup = one_with_done,
    .check = done_is_closed)
SCENARIO(asked_for_done_beside_a_cancel, .threads = { cancel, ask_for_done }, .setup = one,
    .check = done_is_closed)

/* ---- Values ---- */

static void
set(void)
{
	world_become_foreign();
	thing = 1;
	MC_ASSERT(weft_scope_set(top, &key, &thing) == 0);
}

static void
get(void)
{
	int *seen;

	world_become_foreign();
	seen = weft_scope_get(top, &key);
	MC_ASSERT(seen == NULL || *seen == 1);
}

/* The key is there already, with nothing. */
static void
one_with_a_value(void)
{
	one();
	MC_ASSERT(weft_scope_set(top, &key, NULL) == 0);
	thing = 0;
}

SCENARIO(a_value_is_changed, .threads = { set, get }, .setup = one_with_a_value,
    .check = free_all)
SCENARIO(a_value_is_set, .threads = { set, get }, .setup = one, .check = free_all)
