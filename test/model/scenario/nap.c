/*
 * A nap (src/sched/README.md, K1-K5), which `idle` leaves out: a thread that naps with a P, counted
 * among those that look, is woken by a hint or by its time-out, and looks again. So no work is left
 * behind it; and where the hint can be seen, or the poller is wanted, nothing waits for the time.
 *
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=50000
 */
#include "explore.h"
#include "workers.h"
#include "seam/world.h"

const char *const mc_subjects[] = { NULL };	/* no order is named: it is a hint */

static struct m *giver_m;
static _Atomic int64_t ran_at;		/* 0: not yet */

static void
run(void *arg)
{
	(void)arg;
	wf_store_relaxed(&ran_at, mc_now());
}

/* Goroutines have handed over to each other on P 0: who looks in vain naps, once. */
static void
begin(unsigned n_ps)
{
	world_reset(n_ps);
	wf_store_relaxed(&ran_at, 0);
	worker_m = world_m(&world.ps[1]);
	worker_m2 = n_ps > 2 ? world_m(&world.ps[2]) : NULL;
	giver_m = world_m(&world.ps[0]);
	wf_store_relaxed(&world.ps[0].hand_overs, 1000);
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, run, NULL);
}

static void
one_looks(void)
{
	begin(2);
}

static void
two_look(void)
{
	begin(3);
	/* As many may look as that: half as many as are busy. */
	(void)wf_start_spinning(worker_m, true);
	(void)wf_start_spinning(worker_m2, true);
}

/* Also with no P idle: one that naps has its P, and is to come to the work by itself. */
static void
no_work_is_left(void)
{
	MC_ASSERT(!world_has_work());
}

static void
no_time_was_lost(void)
{
	int64_t at = wf_load_relaxed(&ran_at);

	no_work_is_left();
	MC_ASSERT(at != 0 && at < SPIN_NAP_NS);
}

/* ---- Work, whether the hint is seen or not ---- */

static void
ready_two(void)
{
	world_become(giver_m);
	wf_ready(&world.gs[0]);
	wf_ready(&world.gs[1]);
}

static void
inject_one(void)
{
	struct gqueue q = { 0 };

	world_become(giver_m);
	gqueue_put(&q, &world.gs[0]);
	wf_inject(&q, INJECT_HERE);
}

SCENARIO(ready_meets_a_nap, .threads = { ready_two, worker }, .setup = one_looks,
    .runs = 3000, .check = no_work_is_left, .may_rest = true)
SCENARIO(inject_meets_a_nap, .threads = { inject_one, worker }, .setup = one_looks,
    .runs = 3000, .check = no_work_is_left, .may_rest = true)
SCENARIO(ready_meets_two_that_look, .threads = { ready_two, worker, worker2 },
    .setup = two_look, .runs = 3000, .check = no_work_is_left, .may_rest = true)

/* The hint is one: there are ways in which the work waits for the time-out (K3). */
SCENARIO(a_hint_may_be_missed, .threads = { inject_one, worker }, .setup = one_looks,
    .runs = 3000, .check = no_time_was_lost, .may_rest = true, .finds = "at < SPIN_NAP_NS")

/* ---- K5: whoever knows of the nap ends it ---- */

static void
see_and_inject(void)
{
	while (wf_load_relaxed(&wf_sched.nap) == 0)
		mc_relax();
	inject_one();
}

SCENARIO(a_nap_that_is_seen, .threads = { see_and_inject, worker }, .setup = one_looks,
    .runs = 3000, .check = no_time_was_lost, .may_rest = true)
SCENARIO(one_of_two_naps, .threads = { see_and_inject, worker, worker2 }, .setup = two_look,
    .runs = 3000, .check = no_work_is_left, .may_rest = true)

/* ---- K1: the poller is wanted ---- */

static void
one_waits_in_the_poller(void)
{
	begin(2);
	wf_store_relaxed(&world.poll_waiters, 1);
}

static void
make_ready(void)
{
	world_poll_ready(&world.gs[0]);
}

SCENARIO(the_poller_is_wanted, .threads = { make_ready, worker },
    .setup = one_waits_in_the_poller, .runs = 3000, .check = no_time_was_lost, .may_rest = true)
