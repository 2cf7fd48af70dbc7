/*
 * Waiting and waking (src/sched/README.md, "Waking", W1-W6) and the note of a thread: a wait ends
 * once, by one of those who may end it, and never unseen; what the waker wrote is seen; nobody uses
 * the frame of a goroutine that runs again.
 *
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 */
#include "explore.h"
#include "seam/world.h"

#include "sched/scope_hook.h"

#include <errno.h>

const char *const mc_subjects[] = { "sched/park", "sched/switch", "sched/lock", "sched/m.c",
	"sched/scope_hook.h", "sched/pick.h wf_put_ready", NULL };

#define DEADLINE 5000

/* An object with a lock and a queue of waiters, as channels and locks are. */
static struct wf_lock lock;
static struct waitq queue;
static int value;		/* under lock: given by the waker */
static struct wf_scope_base scope;
static struct m *m_first, *m_other;
static _Atomic uint32_t n_ended;
static int64_t deadline;
static bool cancellable;
static int results[WORLD_GS];

static void
wait_once(void *arg)
{
	int *result = arg;
	struct waiter w;
	int r;

	(void)wf_enter();
	wf_lock(&lock);
	r = wf_park_check(deadline, cancellable);
	if (r == 0 && value == 0) {
		wf_waiter_init(&w, deadline, cancellable);
		w.elem = result;
		waitq_put(&queue, &w);
		r = wf_park_unlock(&lock, WAIT_CHAN_RECV, deadline, cancellable);
		if (r == 0)
			MC_ASSERT(*result == 7);	/* written by the waker, plainly */
		if (r < 0) {
			wf_lock(&lock);
			(void)waitq_remove(&queue, &w);
			wf_unlock(&lock);
		}
	} else {
		wf_unlock(&lock);
	}
	(void)wf_add_relaxed(&n_ended, 1);
	world_scribble();
	wf_leave();
}

/* As channels do it: takes waiters off until one can be claimed. */
static void
wake_one(void)
{
	struct waiter *w;

	wf_lock(&lock);
	while ((w = waitq_take(&queue)) != NULL)
		if (wf_claim(w, 0))
			break;
	if (w != NULL)
		*(int *)w->elem = 7;
	else
		value = 1;
	wf_unlock(&lock);
	if (w != NULL)
		wf_ready(w->g);
}

static void
waker(void)
{
	world_become(m_other);
	wake_one();
}

static void
two_wakers(void)
{
	world_become(m_other);
	wake_one();
	wake_one();
}

static void
canceller(void)
{
	struct gqueue q = { 0 };

	world_become(m_other);
	wf_store_seqcst(&scope.cancelled, 1);				/* C1 */
	wf_cancel_wait(&world.gs[0], &q);
	wf_ready_all(&q);
}

static void
scheduler(void)
{
	world_become(m_first);
	wf_schedule(m_first);
}

static void
begin(int64_t until, bool can_be_cancelled, bool other_has_p)
{
	world_reset(other_has_p ? 3 : 1);	/* with one, somebody else may run it at once */
	wf_store_relaxed(&lock.word, 0);
	queue = (struct waitq){ 0 };
	value = 0;
	wf_store_relaxed(&scope.cancelled, 0);
	wf_store_relaxed(&n_ended, 0);
	deadline = until;
	cancellable = can_be_cancelled;
	m_first = world_m(&world.ps[0]);
	m_other = world_m(other_has_p ? &world.ps[1] : NULL);
	for (unsigned i = 0; i < WORLD_GS; i++) {
		results[i] = 0;
		(void)world_g(i, wait_once, &results[i]);
	}
	world.gs[0].scope = can_be_cancelled ? (struct weft_scope *)(void *)&scope : NULL;
	MC_ASSERT(runq_put(&world.ps[0].runq, &world.gs[0]));
}

static void
solo(void)
{
	begin(WEFT_FOREVER, false, true);
}

static void
solo_foreign(void)
{
	begin(WEFT_FOREVER, false, false);
}

static void
timed(void)
{
	begin(DEADLINE, false, true);
}

static void
in_scope(void)
{
	begin(WEFT_FOREVER, true, true);
}

static void
all_of_it(void)
{
	begin(DEADLINE, true, true);
}

static void
two_solo(void)
{
	begin(WEFT_FOREVER, false, true);
	MC_ASSERT(runq_put(&world.ps[0].runq, &world.gs[1]));
}

static void
one_has_ended(void)
{
	MC_ASSERT(wf_load_relaxed(&n_ended) == 1);
}

static void
two_have_ended(void)
{
	MC_ASSERT(wf_load_relaxed(&n_ended) == 2);
}

#define WAITS(id, init, ...) \
	SCENARIO(id, .threads = { scheduler, __VA_ARGS__ }, .setup = init, .check = one_has_ended, \
	    .may_rest = true, .early = 1)

WAITS(a_wait_meets_its_waker, solo, waker)
WAITS(a_wait_meets_a_foreign_waker, solo_foreign, waker, world_monitor)
WAITS(a_deadline_meets_a_waker, timed, waker)
WAITS(a_cancellation_meets_the_commit, in_scope, canceller)
WAITS(a_deadline_meets_a_cancellation, all_of_it, canceller)
SCENARIO(two_waits_meet_two_wakes, .threads = { scheduler, two_wakers }, .setup = two_solo,
    .check = two_have_ended, .may_rest = true, .early = 1)

static struct m *m_third;

static void
third_canceller(void)
{
	struct gqueue q = { 0 };

	world_become(m_third);
	wf_store_seqcst(&scope.cancelled, 1);				/* C1 */
	wf_cancel_wait(&world.gs[0], &q);
	wf_ready_all(&q);
}

static void
three_may_end_it(void)
{
	all_of_it();
	m_third = world_m(NULL);
}

SCENARIO(three_may_end_it, .threads = { scheduler, waker, third_canceller, world_monitor },
    .setup = three_may_end_it, .check = one_has_ended, .may_rest = true, .early = 1)

/* ---- A foreign thread waits by itself ---- */

static void
foreign_waits(void)
{
	world_become(m_other);
	wait_once(&results[0]);
}

static void
wakes_it(void)
{
	world_become(m_first);
	wake_one();
}

static void
foreign(void)
{
	begin(WEFT_FOREVER, false, false);
	(void)runq_take(&world.ps[0].runq);
}

static void
foreign_timed(void)
{
	begin(DEADLINE, false, false);
	(void)runq_take(&world.ps[0].runq);
}

SCENARIO(a_foreign_wait, .threads = { foreign_waits, wakes_it }, .setup = foreign,
    .check = one_has_ended, .wakes = 1)
SCENARIO(a_foreign_deadline, .threads = { foreign_waits, wakes_it }, .setup = foreign_timed,
    .check = one_has_ended, .early = 1, .wakes = 1)

/* ---- The lock: what it guards is plain ---- */

static int guarded;

static void
lock_reset(void)
{
	world_reset(1);
	wf_store_relaxed(&lock.word, 0);
	guarded = 0;
}

static void
lock_twice(void)
{
	for (int i = 0; i < 2; i++) {
		wf_lock(&lock);
		guarded++;
		wf_unlock(&lock);
	}
}

static void
lock_once(void)
{
	wf_lock(&lock);
	guarded++;
	wf_unlock(&lock);
}

static void
lock_is_free(void)
{
	MC_ASSERT(guarded == 4 && wf_load_relaxed(&lock.word) == 0);
}

SCENARIO(lock, .threads = { lock_twice, lock_once, lock_once }, .setup = lock_reset,
    .check = lock_is_free, .wakes = 1)

/* ---- The note of a thread: what comes with it is seen, and it is used again ---- */

static void
sleeper(void)
{
	for (int i = 0; i < 2; i++) {
		wf_m_sleep(m_first);
		MC_ASSERT(m_first->p == &world.ps[0]);
		m_first->p = NULL;
		guarded++;
		wf_lock(&lock);
		value++;
		wf_unlock(&lock);
	}
}

static void
note_waker(void)
{
	for (int i = 0; i < 2; i++) {
		int turn = -1;

		while (turn != i) {
			wf_lock(&lock);
			turn = value;
			wf_unlock(&lock);
			if (turn != i)
				mc_relax();
		}
		wf_m_wake(m_first, &world.ps[0]);
	}
}

static void
note_reset(void)
{
	lock_reset();
	value = 0;
	m_first = wf_m_new_locked();
	MC_ASSERT(wf_p_get_idle_locked(NULL) == &world.ps[0]);
}

SCENARIO(a_note_is_used_again, .threads = { sleeper, note_waker }, .setup = note_reset,
    .wakes = 2)
