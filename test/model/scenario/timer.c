/*
 * Timers and the poller (src/sched/README.md, T1-T4, V1-V3): a timer that is armed, and a
 * descriptor that is waited for, always have somebody who sleeps in the poller for them, and not
 * too long; nobody uses a timer that has been disarmed, and none is lost when a P retires. Those
 * who arm compute on, and never look at their timers again.
 *
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 * model: -Daligned_alloc=world_alloc
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DUNTIL_LOOKS=2
 */
#include "explore.h"
#include "workers.h"
#include "seam/world.h"

#include "sched/kept.h"
#include "sched/timer.h"

#include <string.h>

/* wf_timer_hold() has its order for C4, of the program `scope`. */
const char *const mc_subjects[] = { "sched/timer.c publish", "sched/timer.c own_timers",
	"sched/timer.c wf_timer_arm", "sched/timer.c timers_unlock",
	"sched/timer.c wf_timers", "sched/timer_heap", "sched/wake.c wf_wake_poller",
	"sched/wake.c wf_want_poller", "sched/find.c wait_in_poller", NULL };

#define FIRST 2000		/* the clock begins at 1000 */
#define EARLY 3000
#define LATE 9000

static struct wf_timer first, early, late;
static struct m *armer_m;
static int64_t fired_at;	/* under the lock of the heap */
static _Atomic unsigned n_fired;
static bool was_armed;

/* The clock moves when all sleep, to the first who is to be woken: nobody may oversleep. */
static int64_t
fire(struct wf_timer *t, int64_t now, struct gqueue *ready)
{
	(void)ready;
	MC_ASSERT(now >= t->when && now < (t == &early ? LATE : INT64_MAX));
	fired_at = now;
	(void)wf_add_relaxed(&n_fired, 1);
	return INT64_MAX;
}

static void
set_up(struct wf_timer *t, int64_t when)
{
	memset(t, 0, sizeof(*t));
	t->fire = fire;
	t->when = when;
}

/* P 0 is the armer's; P 1 a thread's that finds nothing to do; P 2, where there is one, too. */
static void
begin(unsigned n_ps)
{
	world_reset(n_ps);
	memset(wf_kept, 0, sizeof(wf_kept));
	set_up(&first, FIRST);
	set_up(&early, EARLY);
	set_up(&late, LATE);
	fired_at = 0;
	wf_store_relaxed(&n_fired, 0);
	was_armed = false;
	armer_m = world_m(&world.ps[0]);
	worker_m = world_m(&world.ps[1]);
	worker_m2 = n_ps > 2 ? world_m(&world.ps[2]) : NULL;
}

static void
two_ps(void)
{
	begin(2);
}

static void
three_ps(void)
{
	begin(3);
}

/* A later one is armed, on the armer's P. */
static void
late_is_armed(void)
{
	begin(2);
	world_become(armer_m);
	wf_timer_arm(&late, LATE);
	world_become(NULL);
}

static void
armer(void)
{
	world_become(armer_m);
	wf_timer_arm(&early, EARLY);
}

static void
has_fired(void)
{
	MC_ASSERT(wf_load_relaxed(&n_fired) == 1);
}

static void
both_have_fired(void)
{
	MC_ASSERT(wf_load_relaxed(&n_fired) == 2);
}

SCENARIO(armed_beside_going_idle, .threads = { armer, worker }, .setup = two_ps,
    .check = has_fired, .may_rest = true)
SCENARIO(armed_beside_two_going_idle, .threads = { armer, worker, worker2 }, .setup = three_ps,
    .check = has_fired, .may_rest = true)
SCENARIO(armed_before_another, .threads = { armer, worker }, .setup = late_is_armed,
    .check = both_have_fired, .may_rest = true)

/* The first one is stopped, and one armed between it and the last. */
static void
first_and_late_are_armed(void)
{
	late_is_armed();
	world_become(armer_m);
	wf_timer_arm(&first, FIRST);
	world_become(NULL);
}

static void
stop_and_arm(void)
{
	world_become(armer_m);
	was_armed = wf_timer_disarm(&first);
	wf_timer_arm(&early, EARLY);
}

static void
but_the_first_have_fired(void)
{
	MC_ASSERT(was_armed);
	both_have_fired();
}

SCENARIO(armed_behind_one_stopped, .threads = { stop_and_arm, worker },
    .setup = first_and_late_are_armed, .check = but_the_first_have_fired, .may_rest = true)

/* Who slept in the poller for one of its own has come back, or is about to. */
static void
armed_elsewhere(void)
{
	begin(2);
	world_become(worker_m);
	wf_timer_arm(&early, EARLY);
	world_become(NULL);
}

static void
late_armer(void)
{
	world_become(armer_m);
	wf_timer_arm(&late, LATE);
}

SCENARIO(armed_beside_coming_back, .threads = { late_armer, worker }, .setup = armed_elsewhere,
    .check = both_have_fired, .may_rest = true, .early = 1)

/* While others look, a thread goes idle without a look at the clock; then they find something. */
static void
others_look(void)
{
	begin(3);
	wf_store_relaxed(&armer_m->is_spinning, 1);
	wf_store_relaxed(&worker_m2->is_spinning, 1);
	wf_store_relaxed(&wf_sched.n_spinning, 2u);
}

static void
find_and_arm(void)
{
	world_become(armer_m);
	wf_stop_spinning(armer_m);
	wf_timer_arm(&early, EARLY);
}

static void
finds_something(void)
{
	world_become(worker_m2);
	wf_stop_spinning(worker_m2);
}

SCENARIO(armed_beside_going_idle_unlooked, .threads = { find_and_arm, worker, finds_something },
    .setup = others_look, .check = has_fired, .may_rest = true)

/* ---- By a thread without a P, for the heap of one that computes ---- */

static struct m *foreign_m;

static void
a_foreigner_too(void)
{
	begin(2);
	foreign_m = world_m(NULL);
}

static void
foreign_armer(void)
{
	world_become(foreign_m);
	wf_timer_arm(&early, EARLY);
}

SCENARIO(armed_by_a_foreigner, .threads = { foreign_armer, worker, world_monitor },
    .setup = a_foreigner_too, .check = has_fired, .may_rest = true)

/* ---- A P is given up with a timer on it ---- */

static void
arm_and_hand_off(void)
{
	world_become(armer_m);
	wf_timer_arm(&early, EARLY);
	wf_hand_off(wf_p_release(armer_m));
}

SCENARIO(armed_and_handed_off, .threads = { arm_and_hand_off, worker }, .setup = two_ps,
    .check = has_fired, .may_rest = true)

/* ---- V1-V3: a descriptor is waited for ---- */

static void
foreign_waits(void)
{
	world_become(foreign_m);
	(void)wf_add_acqrel(&world.poll_waiters, 1);	/* as wf_poll_count() */
	wf_want_poller();
}

/* A locked goroutine waits for one: its thread gives the P away without a look. */
static void
locked_waits(void)
{
	world_become(armer_m);
	(void)wf_add_acqrel(&world.poll_waiters, 1);	/* as wf_poll_count() */
	wf_hand_off(wf_p_release(armer_m));
}

static void
somebody_polls(void)
{
	MC_ASSERT(wf_load_relaxed(&wf_sched.last_poll) == 0);
}

SCENARIO(a_foreigner_waits_beside_going_idle, .threads = { foreign_waits, worker, world_monitor },
    .setup = a_foreigner_too, .check = somebody_polls, .may_rest = true)
SCENARIO(a_locked_one_waits_beside_going_idle, .threads = { locked_waits, worker },
    .setup = two_ps, .check = somebody_polls, .may_rest = true)

/* ---- Disarming ---- */

/* Whoever has disarmed it, or was told that it was not armed, may use its memory again. */
static void
disarm_it(void)
{
	world_become(armer_m);
	was_armed = wf_timer_disarm(&early);
	memset(&early, 0x5a, sizeof(early));
}

static void
run_the_heap(void)
{
	struct gqueue ready = { 0 };

	world_become(worker_m);
	(void)wf_timers_run(&world.ps[0].timers, EARLY, &ready);
}

static void
is_armed(void)
{
	begin(2);
	world_become(armer_m);
	wf_timer_arm(&early, EARLY);
	world_become(NULL);
}

static void
fired_or_disarmed(void)
{
	MC_ASSERT(wf_load_relaxed(&n_fired) + was_armed == 1);
	MC_ASSERT(world.ps[0].timers.n == 0);
}

SCENARIO(disarmed_while_it_fires, .threads = { disarm_it, run_the_heap }, .setup = is_armed,
    .check = fired_or_disarmed)

/* The same in a heap that its P keeps: it is taken by plain stores, and then for good (Z1-Z5). */
static void
keep(unsigned i)
{
	wf_store_relaxed(&world.ps[i].timers.lock.word, WF_KEPT + i + 1);
}

static void
is_armed_in_a_kept_heap(void)
{
	is_armed();
	keep(0);
}

SCENARIO(disarmed_by_the_keeper, .threads = { disarm_it, run_the_heap },
    .setup = is_armed_in_a_kept_heap, .check = fired_or_disarmed)

/* ---- Putting off ---- */

static void
is_armed_late(void)
{
	begin(2);
	world_become(armer_m);
	wf_timer_arm(&early, LATE);
	world_become(NULL);
}

/* Whoever gets hold of it owns it: it has not fired, and will when it is told to. */
static void
put_it_before(void)
{
	struct timers *held;

	world_become(armer_m);
	held = wf_timer_hold_here(&early);
	was_armed = held != NULL;
	if (held != NULL)
		wf_timer_put_off(held, &early, EARLY);
}

SCENARIO(put_before_beside_going_idle, .threads = { put_it_before, worker },
    .setup = is_armed_late, .check = has_fired, .may_rest = true)

static void
put_it_off(void)
{
	struct timers *held;

	world_become(armer_m);
	held = wf_timer_hold_here(&early);
	was_armed = held != NULL;
	if (held == NULL)
		return;
	MC_ASSERT(wf_load_relaxed(&n_fired) == 0);
	wf_timer_put_off(held, &early, LATE);
}

static void
fired_or_put_off(void)
{
	MC_ASSERT(wf_load_relaxed(&n_fired) + was_armed == 1);
	MC_ASSERT(world.ps[0].timers.n == was_armed);
	MC_ASSERT(wf_load_relaxed(&world.ps[0].timers.next) == (was_armed ? LATE : INT64_MAX));
}

SCENARIO(put_off_while_it_fires, .threads = { put_it_off, run_the_heap }, .setup = is_armed,
    .check = fired_or_put_off)
SCENARIO(put_off_by_the_keeper, .threads = { put_it_off, run_the_heap },
    .setup = is_armed_in_a_kept_heap, .check = fired_or_put_off)

/* ---- P 1 retires, and its timers go to P 0 ---- */

static void
is_armed_on_p1(void)
{
	begin(2);
	world_become(worker_m);
	wf_timer_arm(&early, EARLY);
	world_become(NULL);
}

static void
move(void)
{
	world_become(worker_m);
	wf_timers_move(&world.ps[1].timers, &world.ps[0].timers);
}

static void
look_for_the_next(void)
{
	world_become(armer_m);
	MC_ASSERT(wf_timers_next_all() == EARLY);
}

/* P-ALL: a P is made meanwhile. */
static void
make_a_p(void)
{
	wf_procs_init(3);
}

static void
look_at_all(void)
{
	world_become(armer_m);
	MC_ASSERT(wf_timers_share(EARLY, EARLY - 1) == EARLY);
	MC_ASSERT(wf_timers_next_all() == EARLY);
	wf_timers_check();
	MC_ASSERT(wf_load_relaxed(&n_fired) == 0);
}

static void
no_heap_has_it(void)
{
	MC_ASSERT(was_armed && world.ps[0].timers.n + world.ps[1].timers.n == 0);
	MC_ASSERT(wf_load_relaxed(&world.ps[0].timers.next) == INT64_MAX);
}

SCENARIO(moved_and_looked_for, .threads = { move, look_for_the_next }, .setup = is_armed_on_p1)
SCENARIO(looked_at_beside_a_new_p, .threads = { make_a_p, look_at_all },
    .setup = is_armed_on_p1)
SCENARIO(moved_and_disarmed, .threads = { move, disarm_it }, .setup = is_armed_on_p1,
    .check = no_heap_has_it)

static void
is_armed_in_kept_heaps(void)
{
	is_armed_on_p1();
	keep(0);
	keep(1);
}

SCENARIO(moved_and_disarmed_by_a_keeper, .threads = { move, disarm_it },
    .setup = is_armed_in_kept_heaps, .check = no_heap_has_it)

/* Both arm in the heap of the first, which keeps it: the other one has no P. */
static void
late_armer_without_p(void)
{
	world_become(foreign_m);
	wf_timer_arm(&late, LATE);
}

static void
nothing_is_armed(void)
{
	a_foreigner_too();
	keep(0);
}

static void
both_are_armed(void)
{
	MC_ASSERT(world.ps[0].timers.n == 2);
	MC_ASSERT(wf_load_relaxed(&world.ps[0].timers.next) == EARLY);
}

SCENARIO(armed_beside_the_keeper, .threads = { armer, late_armer_without_p },
    .setup = nothing_is_armed, .check = both_are_armed)
