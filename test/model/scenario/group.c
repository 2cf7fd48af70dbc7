/*
 * Wait groups that a processor keeps (src/sync/README.md, G9-G12), by the calls of weft_waitgroup:
 * each thread of a scenario passes for a P, and each group that is begun asks to be kept.
 *
 * model: src/sync/waitgroup.c src/sync/waitgroup_kept.c -DKEEP_BEGUN=0u
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

#include "sched/go.h"
#include "sync/waitgroup_kept.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "sync/waitgroup_kept", NULL };

#define DEADLINE 5000

static weft_waitgroup memory;
static int done[3];		/* by thread: what the group guards */
static _Atomic int n_added;	/* threads that have added what they will */

static struct waitgroup *
group(void)
{
	return waitgroup_of(&memory);
}

/* ---- What is not run here: goroutines that are started ---- */

int
wf_go_and_tell(void (*fn)(void *), void *arg, void (*ended)(void *), void *ended_arg,
    uintptr_t caller_pc)
{
	(void)fn;
	(void)arg;
	(void)ended;
	(void)ended_arg;
	(void)caller_pc;
	MC_ASSERT(!"nobody starts one here");
	return -ENOMEM;
}

/* ---- Setups ---- */

/* Three Ps; nobody is counted, nobody keeps it. */
static void
begin(void)
{
	world_foreign(3);
	memset(&memory, 0, sizeof(memory));
	memset(done, 0, sizeof(done));
	wf_store_relaxed(&n_added, 0);
	for (uint32_t i = 0; i < 3; i++) {
		wf_store_relaxed(&world.foreign[i]->gate.p_number, i + 1);
		wf_store_relaxed(&wf_kept[i + 1].cost, 0u);
		wf_kept[i + 1].paid = 0;
		for (uint32_t k = 0; k < KEPT_PLACES; k++)
			wf_store_relaxed(&wf_kept[i + 1].held[k], NULL);
	}
}

/* The first thread's P keeps it, and n are counted. The others owe too much to keep anything. */
static void
begin_kept(unsigned n)
{
	begin();
	wf_store_relaxed(&group()->lock.word, WF_KEPT + 1);
	wf_store_relaxed(&group()->state, KEPT_BY);
	wf_store_relaxed(&group()->head, (uintptr_t)n * ONE + KEPT);
	wf_store_relaxed(&wf_kept[2].cost, 1000u);
	wf_store_relaxed(&wf_kept[3].cost, 1000u);
}

static void
one_kept(void)
{
	begin_kept(1);
}

static void
two_kept(void)
{
	begin_kept(2);
}

static void
three_kept(void)
{
	begin_kept(3);
}

/* ---- Threads ---- */

static void
count_down(void)
{
	done[mc_thread() - 1] = 1;
	weft_waitgroup_done(&memory);
	world_scribble();
}

static void
finish(void)
{
	world_become_foreign();
	count_down();
}

static void
wait_for(int n, int64_t deadline)
{
	int r = weft_waitgroup_wait(&memory, deadline);

	MC_ASSERT(r == 0 || (r == -ETIMEDOUT && deadline != WEFT_FOREVER));
	if (r == 0)
		MC_ASSERT(done[0] + done[1] + done[2] == n);
	world_scribble();
}

static void
wait_for_one(void)
{
	world_become_foreign();
	wait_for(1, WEFT_FOREVER);
}

static void
wait_for_one_until(void)
{
	world_become_foreign();
	wait_for(1, DEADLINE);
}

static void
wait_for_one_and_free(void)
{
	wait_for_one();
	memset(&memory, 0x5a, sizeof(memory));
}

static void
wait_for_two_and_free(void)
{
	world_become_foreign();
	wait_for(2, WEFT_FOREVER);
	memset(&memory, 0x5a, sizeof(memory));
}

/* The keeper's: one of what is counted is done before it waits for the others. */
static void
finish_and_wait_for_two(void)
{
	finish();
	wait_for(2, WEFT_FOREVER);
	memset(&memory, 0x5a, sizeof(memory));
}

/* Counted again while it is above 0, and done. */
static void
add_and_finish(void)
{
	world_become_foreign();
	weft_waitgroup_add(&memory, 1);
	weft_waitgroup_done(&memory);
	count_down();
}

/* When the first thread waits, and has left its P, this one has that P. */
static void
finish_on_the_keeper(void)
{
	world_become_foreign();
	while ((wf_load_acquire(&group()->head) & FOR_ONE) == 0
	    || wf_load_acquire(&wf_kept[1].held[0]) != NULL)
		mc_relax();
	wf_store_relaxed(&world.foreign[mc_thread() - 1]->gate.p_number, 1);
	weft_waitgroup_add(&memory, 1);
	weft_waitgroup_done(&memory);
	count_down();
}

/* Begun by several, none of whom knows of another; waited for by who knows of all. */
static void
begin_and_finish(void)
{
	world_become_foreign();
	weft_waitgroup_add(&memory, 1);
	(void)wf_add_release(&n_added, 1);
	count_down();
}

static void
begin_finish_and_wait(void)
{
	begin_and_finish();
	while (wf_load_acquire(&n_added) != 2)
		mc_relax();
	wait_for(2, WEFT_FOREVER);
}

static void
again(void)
{
	wait_for_one();
	weft_waitgroup_add(&memory, 1);
	weft_waitgroup_done(&memory);
	MC_ASSERT(weft_waitgroup_wait(&memory, WEFT_FOREVER) == 0);
}

static void
is_zero(void)
{
	uintptr_t head = wf_load_relaxed(&group()->head);
	uint32_t state = wf_load_relaxed(&group()->state);

	MC_ASSERT((state == 0 && head == 0) || (state == KEPT_BY && head == KEPT));
}

#define KEPT_RUNS .runs = 500

SCENARIO(keeper_waits, .threads = { wait_for_one_and_free, finish }, .setup = one_kept, KEPT_RUNS)
SCENARIO(keeper_waits_for_two, .threads = { wait_for_two_and_free, finish, finish },
    .setup = two_kept, KEPT_RUNS)
SCENARIO(keeper_finishes, .threads = { finish, wait_for_one_and_free }, .setup = one_kept,
    KEPT_RUNS)
SCENARIO(keeper_and_another_finish, .threads = { finish, finish, wait_for_two_and_free },
    .setup = two_kept, KEPT_RUNS)
SCENARIO(keeper_finishes_and_waits, .threads = { finish_and_wait_for_two, finish },
    .setup = two_kept, KEPT_RUNS)
SCENARIO(keeper_adds, .threads = { add_and_finish, finish, wait_for_two_and_free },
    .setup = two_kept, KEPT_RUNS)
SCENARIO(another_adds, .threads = { wait_for_two_and_free, add_and_finish, finish },
    .setup = two_kept, KEPT_RUNS)
SCENARIO(keeper_wakes, .threads = { wait_for_one_and_free, finish_on_the_keeper },
    .setup = one_kept, KEPT_RUNS)
SCENARIO(keeper_and_another_wait, .threads = { wait_for_one, wait_for_one, finish },
    .setup = one_kept, .check = is_zero, KEPT_RUNS)
SCENARIO(keeper_waits_until, .threads = { wait_for_one_until, finish, wait_for_one },
    .setup = one_kept, .check = is_zero, .early = 1, KEPT_RUNS)
SCENARIO(three_finish, .threads = { finish, finish, finish }, .setup = three_kept,
    .check = is_zero, KEPT_RUNS)
SCENARIO(begun_again, .threads = { again, finish }, .setup = one_kept, .check = is_zero, KEPT_RUNS)
SCENARIO(begun_by_two, .threads = { begin_finish_and_wait, begin_and_finish }, .setup = begin,
    .check = is_zero, KEPT_RUNS)
