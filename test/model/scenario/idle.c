/*
 * The idle protocol (src/sched/README.md, "Going idle, and being woken"): work that was put on a
 * queue is never left there with a P idle and nobody looking. Those who bring work hold their
 * P and go on computing, so nobody but a thread that was idle, or is going idle, can take it.
 *
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 * model: -Daligned_alloc=world_alloc
 */
#include "explore.h"
#include "workers.h"
#include "seam/world.h"

#include "sched/pick.h"

#include <weft/go.h>

const char *const mc_subjects[] = { "sched/wake.c start_spinner", "sched/wake.c wf_wake",
	"sched/wake.c wf_stop_spinning", "sched/wake.c wf_start_spinning",
	"sched/wake.c wf_has_work", "sched/wake.c wf_hand_off", "sched/find.c steal_runnext",
	"sched/find.c go_idle", "sched/find.c begin_steal", "sched/find.c end_own",
	"sched/wake.c wf_fence_owners",
	"sched/procs.c wf_p_put_idle", "sched/procs.c wf_p_get_idle",
	"sched/queue.c", "sched/pick.h wf_wake", "sched/pick.h wf_runq_put", NULL };

static struct m *giver_m, *giver_m2;
static _Atomic uint32_t n_run;

static void
count(void *arg)
{
	(void)arg;
	(void)wf_add_relaxed(&n_run, 1);
}

static void
reset(void)
{
	world_reset(2);
	wf_store_relaxed(&n_run, 0);
	worker_m = world_m(&world.ps[1]);
	giver_m = world_m(&world.ps[0]);
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, count, NULL);
}

static void
no_work_is_left(void)
{
	MC_ASSERT(wf_load_relaxed(&wf_sched.n_idle_p) == 0 || !world_has_work());
}

/* ---- W5: a goroutine readied on a P that stays busy ---- */

static void
ready_one(void)
{
	world_become(giver_m);
	wf_ready(&world.gs[0]);
}

SCENARIO(ready_meets_going_idle, .threads = { ready_one, worker }, .setup = reset,
    .check = no_work_is_left, .may_rest = true)

static void
ready_two(void)
{
	world_become(giver_m);
	wf_ready(&world.gs[0]);
	wf_ready(&world.gs[1]);
}

SCENARIO(two_readied_meet_going_idle, .threads = { ready_two, worker }, .setup = reset,
    .check = no_work_is_left, .may_rest = true)

/* ---- One would wake somebody, and finds that no P is idle any more ---- */

/* It has counted itself among those that look, so nobody else wakes, and the worker goes idle. */
static void
wakes_in_vain(void)
{
	world_become(giver_m2);
	wf_wake_idle();
}

static void
another_wakes(void)
{
	reset();
	giver_m2 = world_m(NULL);
}

SCENARIO(ready_behind_a_wake_in_vain, .threads = { ready_one, worker, wakes_in_vain },
    .setup = another_wakes, .check = no_work_is_left, .may_rest = true)

/* ---- By a thread without a P: through the global queue ---- */

static void
foreign_reset(void)
{
	world_reset(1);
	wf_store_relaxed(&n_run, 0);
	worker_m = world_m(&world.ps[0]);
	giver_m = world_m(NULL);
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, count, NULL);
}

SCENARIO(foreign_ready_meets_going_idle, .threads = { ready_one, worker, world_monitor },
    .setup = foreign_reset, .check = no_work_is_left, .may_rest = true)

static void
inject_two(void)
{
	struct gqueue q = { 0 };

	world_become(giver_m);
	gqueue_put(&q, &world.gs[0]);
	gqueue_put(&q, &world.gs[1]);
	wf_inject(&q, INJECT_HERE);
}

SCENARIO(inject_meets_going_idle, .threads = { inject_two, worker }, .setup = reset,
    .check = no_work_is_left, .may_rest = true)

/* ---- Two that look, two that bring: 2 of 3 Ps are held by workers ---- */

static void
three_reset(void)
{
	world_reset(3);
	wf_store_relaxed(&n_run, 0);
	worker_m = world_m(&world.ps[1]);
	worker_m2 = world_m(&world.ps[2]);
	giver_m = world_m(&world.ps[0]);
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, count, NULL);
}

SCENARIO(two_go_idle, .threads = { ready_two, worker, worker2 }, .setup = three_reset,
    .check = no_work_is_left, .may_rest = true)

/* ---- One P is given up by a thread that brought work from the global queue ---- */

static void
hand_off(void)
{
	world_become(giver_m);
	wf_ready(&world.gs[0]);
	wf_hand_off(wf_p_release(giver_m));
}

SCENARIO(hand_off_meets_going_idle, .threads = { hand_off, worker }, .setup = reset,
    .check = no_work_is_left, .may_rest = true)

static void
hand_off_empty(void)
{
	world_become(giver_m);
	wf_hand_off(wf_p_release(giver_m));
}

static void
ready_foreign(void)
{
	world_become(giver_m2);
	wf_ready(&world.gs[0]);
}

static void
hand_off_reset(void)
{
	reset();
	giver_m2 = world_m(NULL);
}

SCENARIO(hand_off_meets_ready, .threads = { hand_off_empty, ready_foreign, world_monitor },
    .setup = hand_off_reset, .check = no_work_is_left, .may_rest = true)
SCENARIO(hand_off_ready_and_going_idle,
    .threads = { hand_off_empty, ready_foreign, worker, world_monitor },
    .setup = hand_off_reset, .check = no_work_is_left, .may_rest = true)

/* The P is handed off while another M readies on its own, and stays busy. */
static void
hand_off_other(void)
{
	world_become(worker_m);
	wf_hand_off(wf_p_release(worker_m));
}

SCENARIO(hand_off_beside_ready, .threads = { hand_off_other, ready_one }, .setup = reset,
    .check = no_work_is_left, .may_rest = true)

/* ---- What is found computes for ever: somebody else must look on (R1-R3) ---- */

static void
compute(void *arg)
{
	(void)arg;
	mc_thread_end();
}

static void
compute_reset(void)
{
	world_reset(3);
	worker_m = world_m(&world.ps[1]);
	giver_m = world_m(&world.ps[0]);
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, compute, NULL);
}

SCENARIO(who_finds_computes, .threads = { ready_two, worker }, .setup = compute_reset,
    .check = no_work_is_left, .may_rest = true)

/*
 * The thread that hands its P off sees another P idle; that one is taken, and its thread computes;
 * a second goroutine is readied while no P is idle; only then is the P put on the list.
 */
SCENARIO(hand_off_beside_two, .threads = { hand_off_other, ready_two }, .setup = compute_reset,
    .check = no_work_is_left, .may_rest = true)

/* ---- A waker that finds no P: it must not have kept others from waking ---- */

static void
vain_reset(void)
{
	three_reset();
	/* P 1 has found work; P 2 is idle, and a thread that comes back takes it (D6). */
	wf_store_relaxed(&worker_m->is_spinning, 1);
	wf_store_relaxed(&wf_sched.n_spinning, 1);
	(void)wf_p_release(worker_m2);
	wf_p_put_idle_locked(&world.ps[2]);
}

static void
finder(void)
{
	world_become(worker_m);
	wf_stop_spinning(worker_m);
}

static void
comes_back(void)
{
	struct p *p;

	world_become(worker_m2);
	wf_lock(&wf_sched.lock);
	p = wf_p_get_idle_locked(NULL);
	wf_unlock(&wf_sched.lock);
	if (p != NULL)
		wf_hand_off(p);
}

SCENARIO(a_waker_in_vain, .threads = { finder, comes_back, ready_one }, .setup = vain_reset,
    .check = no_work_is_left, .may_rest = true)

/* The work is brought by a plain store, and who looks finds other work: a P is idle meanwhile. */
static void
own_vain_reset(void)
{
	vain_reset();
	wf_store_relaxed(&world.ps[0].runq.own, RUNQ_OWN);
}

SCENARIO(own_ready_meets_a_finder, .threads = { finder, ready_one }, .setup = own_vain_reset,
    .check = no_work_is_left, .may_rest = true)

/* ---- A P is added while others look ---- */

static void
add_reset(void)
{
	reset();
	giver_m2 = world_m(NULL);
	wf_store_relaxed(&giver_m2->gate.in_runtime, 0);
}

static void
add_p(void)
{
	world_become(giver_m2);
	MC_ASSERT(weft_gomaxprocs(3) == 2);
}

SCENARIO(a_p_is_added, .threads = { add_p, worker, ready_one, world_monitor },
    .setup = add_reset, .check = no_work_is_left, .may_rest = true)

/* ---- A thief holds the goroutine of the slot in hand; it runs, and is put there again ---- */

static void
put_again(void)
{
	struct p *p = &world.ps[0];
	struct g *g = &world.gs[0];

	world_become(giver_m);
	MC_ASSERT(runq_put_next(&p->runq, g) == NULL);
	if (runq_take_next(&p->runq) == g) {
		g->parent_id = 7;
		(void)runq_put_next(&p->runq, g);
	}
}

static void
read_parent(void *arg)
{
	struct g *g = arg;

	MC_ASSERT(g->parent_id == 0 || g->parent_id == 7);
}

static void
again_reset(void)
{
	reset();
	(void)world_g(0, read_parent, &world.gs[0]);
}

SCENARIO(the_same_goroutine_again, .threads = { put_again, worker }, .setup = again_reset,
    .may_rest = true)

/* ---- A ring that is its holder's own (O1-O5, H1-H6) ---- */

static void
own_reset(void)
{
	reset();
	wf_store_relaxed(&world.ps[0].runq.own, RUNQ_OWN);
}

SCENARIO(own_ready_meets_going_idle, .threads = { ready_one, worker }, .setup = own_reset,
    .check = no_work_is_left, .may_rest = true)
SCENARIO(two_own_readied_meet_going_idle, .threads = { ready_two, worker }, .setup = own_reset,
    .check = no_work_is_left, .may_rest = true)

/* parent_id, which is plain: a goroutine that is run twice, or a missing edge, is a race. */
static void
run_once(void *arg)
{
	struct g *g = arg;

	MC_ASSERT(g->parent_id == 0);
	g->parent_id = 1;
	(void)wf_add_relaxed(&n_run, 1);
}

static void
own_taken_reset(void)
{
	own_reset();
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, run_once, &world.gs[i]);
}

/* The holder takes what it has put, by the slot and by the ring. */
static void
own_owner(void)
{
	struct runq *q = &world.ps[0].runq;
	struct g *g;

	world_become(giver_m);
	MC_ASSERT(runq_put(q, &world.gs[0]));
	MC_ASSERT(runq_put_next(q, &world.gs[1]) == NULL);
	if ((g = runq_take_next(q)) != NULL)
		run_once(g);
	if ((g = runq_take_own(q)) != NULL)
		run_once(g);
}

static void
each_ran_once(void)
{
	MC_ASSERT(wf_load_relaxed(&n_run) == 2 || world_has_work());
	MC_ASSERT(wf_load_relaxed(&n_run) <= 2);
}

SCENARIO(own_is_taken_once, .threads = { own_owner, worker }, .setup = own_taken_reset,
    .check = each_ran_once, .may_rest = true)

/* O4 in the middle, beside a thief. */
static void
begin_own(void)
{
	struct runq *q = &world.ps[0].runq;
	struct g *g;

	world_become(giver_m);
	MC_ASSERT(runq_put(q, &world.gs[0]));
	MC_ASSERT(runq_put(q, &world.gs[1]));
	runq_own(q, true, 0);
	if ((g = runq_take_own(q)) != NULL)
		run_once(g);
	if ((g = runq_take_own(q)) != NULL)
		run_once(g);
}

static void
shared_taken_reset(void)
{
	own_taken_reset();
	wf_store_relaxed(&world.ps[0].runq.own, RUNQ_SHARED);
}

SCENARIO(own_begins_beside_a_thief, .threads = { begin_own, worker },
    .setup = shared_taken_reset, .check = each_ran_once, .may_rest = true)

/* O4, and what is brought then. */
static void
begin_own_and_ready(void)
{
	world_become(giver_m);
	runq_own(&world.ps[0].runq, true, 0);
	wf_ready(&world.gs[0]);
}

SCENARIO(own_begins_and_brings, .threads = { begin_own_and_ready, worker }, .setup = reset,
    .check = no_work_is_left, .may_rest = true)

/* One steals, which ends it, while another goes idle. */
static void
own_three_reset(void)
{
	three_reset();
	wf_store_relaxed(&world.ps[0].runq.own, RUNQ_OWN);
}

SCENARIO(own_ends_beside_going_idle, .threads = { ready_two, worker, worker2 },
    .setup = own_three_reset, .check = no_work_is_left, .may_rest = true)

/* ---- The only P, whose goroutines compute without end, and another is added (X1-X3) ---- */

static void
alone_reset(void)
{
	world_reset(1);
	wf_store_relaxed(&world.ps[0].runq.is_alone, 1);
	giver_m = world_m(&world.ps[0]);
	worker_m = wf_m_new_locked();
	wf_store_relaxed(&worker_m->gate.in_runtime, 1);
	giver_m2 = world_m(NULL);
	wf_store_relaxed(&giver_m2->gate.in_runtime, 0);
	for (unsigned i = 0; i < WORLD_GS; i++)
		(void)world_g(i, compute, NULL);
}

static void
alone_owner(void)
{
	world_become(giver_m);
	wf_ready(&world.gs[0]);
	wf_ready(&world.gs[1]);
	wf_schedule(giver_m);
}

static void
add_second_p(void)
{
	world_become(giver_m2);
	MC_ASSERT(weft_gomaxprocs(2) == 1);
}

/* Else the owner has picked before, and computes: the monitor will detach it (X3). */
static void
shared_or_unseen(void)
{
	if (runq_may_steal(&world.ps[0].runq))
		no_work_is_left();
}

SCENARIO(the_only_p_is_joined, .threads = { alone_owner, add_second_p, worker, world_monitor },
    .setup = alone_reset, .check = shared_or_unseen, .may_rest = true)
