/*
 * Mutexes that a processor keeps (src/sync/README.md, K1-K7), by the calls of weft_mutex: each
 * thread of a scenario passes for a P, and each lock by M1 asks to keep.
 *
 * model: src/sync/mutex.c src/sync/bias.c src/sync/keep.c
 * model: -DSPIN_PAUSES=1 -DKEEP_EVERY=1u -DBIASES=2u -DWF_SLOTS_SHARED=1u
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
#include "lockers.h"
#include "seam/world.h"

#include "sync/keep.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "sync/keep", NULL };

static weft_mutex memory;
static _Atomic uint32_t handed;	/* it was locked, for another to unlock */

static void
begin(void)
{
	world_foreign(3);
	memset(&memory, 0, sizeof(memory));
	guarded = n_over = 0;
	mutex = &memory;
	wf_store_relaxed(&handed, 0u);
}

static void
try_once(void)
{
	if (weft_mutex_trylock(mutex)) {
		guarded++;
		weft_mutex_unlock(mutex);
	}
}

/* Who sees that nobody needs it any more lets its memory be something else. */
static void
once_and_free(void)
{
	bool is_last;

	world_become_foreign();
	weft_mutex_lock(mutex);
	is_last = ++n_over == 3;
	weft_mutex_unlock(mutex);
	if (is_last)
		memset(&memory, 0x5a, sizeof(memory));
}

static void
is_free(void)
{
	struct mutex *m = (struct mutex *)(void *)mutex;

	MC_ASSERT((wf_load_relaxed(&m->state) & ~(MUTEX_WOKEN | MUTEX_KEEPERS)) == 0);
	MC_ASSERT(m->waiters.head == NULL);
}

/* Nobody keeps it; every lock by M1 begins. */
static void
begin_with_ps(void)
{
	begin();
	for (uint32_t i = 0; i < 3; i++) {
		wf_store_relaxed(&world.foreign[i]->gate.p_number, i + 1);
		wf_store_relaxed(&wf_biases.slots[i].busy, 0u);
		wf_store_relaxed(&wf_biases.slots[i].owed, 0u);
	}
}

/* The first thread's P keeps it. */
static void
begin_kept(void)
{
	begin_with_ps();
	wf_store_relaxed(&((struct mutex *)(void *)mutex)->state, MUTEX_KEEPER);
	/* The others owe too much to keep it in their turn, which is begin_with_ps()'s. */
	wf_store_relaxed(&wf_biases.slots[1].owed, 1000u);
	wf_store_relaxed(&wf_biases.slots[2].owed, 1000u);
}

static void
try_twice(void)
{
	world_become_foreign();
	try_once();
	try_once();
}

/* Another thread, with another P, will unlock it. */
static void
lock_only(void)
{
	world_become_foreign();
	weft_mutex_lock(mutex);
	guarded++;
	wf_store_release(&handed, 1u);
}

static void
unlock_only(void)
{
	world_become_foreign();
	while (wf_load_acquire(&handed) == 0)
		mc_relax();
	guarded++;
	weft_mutex_unlock(mutex);
}

#define KEPT .runs = 2000

SCENARIO(kept_and_wanted, .threads = { twice, once }, .setup = begin_kept, .check = is_free, KEPT)
SCENARIO(kept_and_wanted_by_two, .threads = { twice, once, once }, .setup = begin_kept,
    .check = is_free, KEPT)
SCENARIO(kept_and_tried, .threads = { twice, try_twice }, .setup = begin_kept,
    .check = is_free, KEPT)
SCENARIO(kept_and_given_up, .threads = { twice, until, once }, .setup = begin_kept,
    .check = is_free, .early = 1, KEPT)
SCENARIO(kept_and_unlocked_elsewhere, .threads = { lock_only, unlock_only, once },
    .setup = begin_kept, .check = is_free, KEPT)
SCENARIO(kept_and_freed, .threads = { once_and_free, once_and_free, once_and_free },
    .setup = begin_kept, KEPT)
SCENARIO(kept_in_turns, .threads = { twice, twice }, .setup = begin_with_ps, .check = is_free, KEPT)
SCENARIO(kept_by_who_comes, .threads = { twice, once, once }, .setup = begin_with_ps,
    .check = is_free, KEPT)
