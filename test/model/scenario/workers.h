/*
 * Threads of a scenario that look for work, run it, and look again, until they sleep for good. For
 * scenarios whose program has src/sched/find.c.
 */
#ifndef WEFT_MODEL_SCENARIO_WORKERS_H
#define WEFT_MODEL_SCENARIO_WORKERS_H

#include "seam/world.h"

static struct m *worker_m, *worker_m2;	/* the scenario's setup says who they are */

static void
worker(void)
{
	world_become(worker_m);
	wf_schedule(worker_m);
}

static void
worker2(void)
{
	world_become(worker_m2);
	wf_schedule(worker_m2);
}

#endif /* WEFT_MODEL_SCENARIO_WORKERS_H */
