/*
 * Threads of a scenario that lock a mutex, each as one that is not weft's, and change what it
 * guards.
 */
#ifndef WEFT_MODEL_SCENARIO_LOCKERS_H
#define WEFT_MODEL_SCENARIO_LOCKERS_H

#include "explore.h"
#include "seam/world.h"

#include <weft/sync.h>

#define DEADLINE 5000

static weft_mutex *mutex;	/* the scenario's setup says where */
static int guarded;		/* by mutex, or by what the scenario is about */
static int n_over;		/* who have done with it, under it */

/* Stands for the scheduler's: whether it pays is anybody's guess. */
bool
wf_can_spin(void)
{
	return mc_choose(2) != 0;
}

static void
lock_once(void)
{
	weft_mutex_lock(mutex);
	guarded++;
	weft_mutex_unlock(mutex);
	world_scribble();
}

static void
once(void)
{
	world_become_foreign();
	lock_once();
}

static void
twice(void)
{
	world_become_foreign();
	lock_once();
	lock_once();
}

static void
until(void)
{
	world_become_foreign();
	if (weft_mutex_lock_until(mutex, DEADLINE) == 0) {
		guarded++;
		weft_mutex_unlock(mutex);
	}
	world_scribble();
}

#endif /* WEFT_MODEL_SCENARIO_LOCKERS_H */
