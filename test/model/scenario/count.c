/*
 * Semaphore, waitgroup and once (src/sync/README.md, S1-S6, G1-G8, O1-O4): nobody waits for what is
 * there, nothing is counted twice, and whoever knows that nobody needs one any more may free it.
 *
 * model: src/sync/sem.c src/sync/waitgroup.c src/sync/waitgroup_kept.c src/sync/once.c
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

#include <weft/sync.h>

#include "sched/go.h"
#include "sched/panic.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "sync/sem", "sync/waitgroup.c", "sync/once", NULL };

#define DEADLINE 5000

static weft_sem sem;
static weft_waitgroup group;
static weft_once once;
static int guarded, done[3];
static _Atomic int n_acquired;

/* ---- What is not run here: goroutines that are started, and deferred calls ---- */

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

void
wf_defer_push(struct wf_defer *d, void (*fn)(void *), void *arg)
{
	(void)d;
	(void)fn;
	(void)arg;
}

void
wf_defer_remove(struct wf_defer *d)
{
	(void)d;
}

bool
wf_is_ending(const struct g *g)
{
	(void)g;
	return false;
}

void
wf_yield_if_crowded(void)
{
}

static void
begin(void)
{
	world_foreign(3);
	memset(&group, 0, sizeof(group));
	memset(&once, 0, sizeof(once));
	memset(done, 0, sizeof(done));
	guarded = 0;
	wf_store_relaxed(&n_acquired, 0);
}

/* ---- Semaphore ---- */

static void
one_permit(void)
{
	begin();
	weft_sem_init(&sem, 1);
}

static void
two_permits(void)
{
	begin();
	weft_sem_init(&sem, 2);
}

/* The other is kept for good: who wants both must give up, and who is behind it go on. */
static void
one_of_two_permits(void)
{
	two_permits();
	MC_ASSERT(weft_sem_tryacquire(&sem, 1));
}

static void
acquire(int64_t n, int64_t deadline)
{
	int r;

	world_become_foreign();
	r = weft_sem_acquire(&sem, n, deadline);
	MC_ASSERT(r == 0 || (r == -ETIMEDOUT && deadline != WEFT_FOREVER));
	if (r == 0) {
		MC_ASSERT(wf_add_relaxed(&n_acquired, (int)n) + (int)n <= 2);
		(void)wf_sub_relaxed(&n_acquired, (int)n);
		weft_sem_release(&sem, n);
	}
	world_scribble();
}

/* With one permit it is a lock. */
static void
exclude(void)
{
	world_become_foreign();
	MC_ASSERT(weft_sem_acquire(&sem, 1, WEFT_FOREVER) == 0);
	guarded++;
	weft_sem_release(&sem, 1);
	world_scribble();
}

static void
exclude_until(void)
{
	world_become_foreign();
	if (weft_sem_acquire(&sem, 1, DEADLINE) == 0) {
		guarded++;
		weft_sem_release(&sem, 1);
	}
	world_scribble();
}

static void
try_to_exclude(void)
{
	world_become_foreign();
	if (weft_sem_tryacquire(&sem, 1)) {
		guarded++;
		weft_sem_release(&sem, 1);
	}
}

static void
exclude_and_free(void)
{
	bool is_last;

	world_become_foreign();
	MC_ASSERT(weft_sem_acquire(&sem, 1, WEFT_FOREVER) == 0);
	is_last = ++guarded == 3;
	weft_sem_release(&sem, 1);
	if (is_last)
		memset(&sem, 0x5a, sizeof(sem));
}

static void
acquire_one(void)
{
	acquire(1, WEFT_FOREVER);
}

static void
acquire_both(void)
{
	acquire(2, WEFT_FOREVER);
}

static void
acquire_both_until(void)
{
	acquire(2, DEADLINE);
}

/* All permits are there again. */
static void
one_is_there(void)
{
	MC_ASSERT(weft_sem_tryacquire(&sem, 1) && !weft_sem_tryacquire(&sem, 1));
}

static void
two_are_there(void)
{
	MC_ASSERT(weft_sem_tryacquire(&sem, 2) && !weft_sem_tryacquire(&sem, 1));
}

SCENARIO(three_exclude, .threads = { exclude, exclude, exclude }, .setup = one_permit,
    .check = one_is_there)
SCENARIO(some_give_up, .threads = { exclude, exclude_until, exclude_until }, .setup = one_permit,
    .check = one_is_there, .early = 2)
SCENARIO(one_tries, .threads = { exclude, exclude_until, try_to_exclude }, .setup = one_permit,
    .check = one_is_there, .early = 1)
SCENARIO(the_last_frees, .threads = { exclude_and_free, exclude_and_free, exclude_and_free },
    .setup = one_permit)
SCENARIO(large_and_small, .threads = { acquire_both, acquire_one, acquire_one },
    .setup = two_permits, .check = two_are_there)
SCENARIO(a_large_one_gives_up, .threads = { exclude, acquire_both_until, exclude },
    .setup = one_of_two_permits, .early = 1)

/* What both had before is seen by who gets both, whichever way each permit went. */
static void
no_permit_is_left(void)
{
	two_permits();
	MC_ASSERT(weft_sem_tryacquire(&sem, 2));
}

static void
give_one_back(void)
{
	world_become_foreign();
	done[mc_thread() - 1] = 1;
	weft_sem_release(&sem, 1);
}

static void
see_both(void)
{
	world_become_foreign();
	MC_ASSERT(weft_sem_acquire(&sem, 2, WEFT_FOREVER) == 0);
	MC_ASSERT(done[0] == 1 && done[1] == 1);
}

SCENARIO(both_are_given_back, .threads = { give_one_back, give_one_back, see_both },
    .setup = no_permit_is_left)

/* ---- Waitgroup ---- */

static void
two_counted(void)
{
	begin();
	weft_waitgroup_add(&group, 2);
}

static void
one_counted(void)
{
	begin();
	weft_waitgroup_add(&group, 1);
}

static void
finish(void)
{
	world_become_foreign();
	done[mc_thread() - 1] = 1;
	weft_waitgroup_done(&group);
	world_scribble();
}

static void
wait_for(int n, int64_t deadline)
{
	int r;

	world_become_foreign();
	r = weft_waitgroup_wait(&group, deadline);
	MC_ASSERT(r == 0 || (r == -ETIMEDOUT && deadline != WEFT_FOREVER));
	if (r == 0)
		MC_ASSERT(done[0] + (n > 1 ? done[1] : 0) == n);
	world_scribble();
}

static void
wait_for_one(void)
{
	wait_for(1, WEFT_FOREVER);
}

static void
wait_for_two(void)
{
	wait_for(2, WEFT_FOREVER);
}

static void
wait_for_one_until(void)
{
	wait_for(1, DEADLINE);
}

static void
wait_for_two_until(void)
{
	wait_for(2, DEADLINE);
}

static void
wait_for_one_and_free(void)
{
	wait_for_one();
	memset(&group, 0x5a, sizeof(group));
}

static void
wait_for_two_and_free(void)
{
	wait_for_two();
	memset(&group, 0x5a, sizeof(group));
}

/* One wait gives up and says so; the one that finds that out by the end of the other may free. */
static _Atomic bool has_given_up;

static void
two_waits(void)
{
	one_counted();
	wf_store_relaxed(&has_given_up, false);
}

static void
wait_until_and_tell(void)
{
	wait_for(1, DEADLINE);
	wf_store_release(&has_given_up, true);
}

static void
wait_when_told_and_free(void)
{
	world_become_foreign();
	while (!wf_load_acquire(&has_given_up))
		mc_relax();
	wait_for_one_and_free();
}

/* Counted again while it is above 0. */
static void
add_and_finish(void)
{
	world_become_foreign();
	weft_waitgroup_add(&group, 1);
	weft_waitgroup_done(&group);
	finish();
}

static void
again(void)
{
	wait_for_one();
	weft_waitgroup_add(&group, 1);
	weft_waitgroup_done(&group);
	MC_ASSERT(weft_waitgroup_wait(&group, WEFT_FOREVER) == 0);
}

static void
is_zero(void)
{
	MC_ASSERT(weft_waitgroup_wait(&group, WEFT_NOW) == 0);
}

SCENARIO(one_is_waited_for, .threads = { finish, wait_for_one_and_free }, .setup = one_counted)
SCENARIO(two_are_waited_for, .threads = { finish, finish, wait_for_two_and_free },
    .setup = two_counted)
SCENARIO(two_are_waited_for_until, .threads = { finish, finish, wait_for_two_until },
    .setup = two_counted, .check = is_zero, .early = 1)
SCENARIO(two_wait, .threads = { finish, wait_for_one, wait_for_one }, .setup = one_counted,
    .check = is_zero)
SCENARIO(one_of_two_waits_gives_up, .threads = { finish, wait_for_one_until, wait_for_one },
    .setup = one_counted, .check = is_zero, .early = 1)
SCENARIO(two_waits_give_up, .threads = { finish, wait_for_one_until, wait_for_one_until },
    .setup = one_counted, .check = is_zero, .early = 2)
SCENARIO(freed_behind_who_gave_up,
    .threads = { finish, wait_until_and_tell, wait_when_told_and_free }, .setup = two_waits,
    .early = 1)
SCENARIO(counted_on, .threads = { add_and_finish, wait_for_one, wait_for_one_until },
    .setup = one_counted, .check = is_zero, .early = 1)
SCENARIO(used_again, .threads = { finish, again }, .setup = one_counted, .check = is_zero)

/* ---- Once ---- */

static void
make(void *arg)
{
	(void)arg;
	guarded++;
}

static void
make_once(void)
{
	world_become_foreign();
	weft_once_do(&once, make, NULL);
	MC_ASSERT(guarded == 1);
	world_scribble();
}

SCENARIO(two_do_it, .threads = { make_once, make_once }, .setup = begin)
SCENARIO(three_do_it, .threads = { make_once, make_once, make_once }, .setup = begin)
