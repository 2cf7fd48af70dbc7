/*
 * Locks that a processor keeps (src/sched/README.md, Z1-Z7): each thread of a scenario passes for a
 * P, and holds such locks as a channel's send or a select would.
 *
 * model: src/sched/kept.c src/sched/lock.c seam/os.c seam/world.c
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c src/sched/reason.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 */
#include "explore.h"
#include "seam/world.h"

#include "sched/kept.h"

#include <string.h>

const char *const mc_subjects[] = { "sched/kept", NULL };

#define LOCKS 3

static struct wf_lock lock[LOCKS];
static int guarded[LOCKS];	/* by the lock of the same index */
static int n_over;		/* who have done with lock[0], under it */

static void
kept_by(unsigned i, uint32_t number)
{
	wf_store_relaxed(&lock[i].word, WF_KEPT + number);
}

/* Three Ps; nobody keeps anything. */
static void
begin(void)
{
	world_foreign(3);
	memset(lock, 0, sizeof(lock));
	memset(guarded, 0, sizeof(guarded));
	n_over = 0;
	for (uint32_t i = 0; i < 3; i++) {
		wf_store_relaxed(&world.foreign[i]->gate.p_number, i + 1);
		for (uint32_t k = 0; k < KEPT_PLACES; k++)
			wf_store_relaxed(&wf_kept[i + 1].held[k], NULL);
	}
}

/* The first thread's P keeps one lock. */
static void
begin_kept(void)
{
	begin();
	kept_by(0, 1);
}

static void
begin_both_kept(void)
{
	begin_kept();
	kept_by(1, 1);
}

/* What the second takes first is in between, and nobody keeps it. */
static void
begin_kept_around(void)
{
	begin_kept();
	kept_by(2, 1);
}

static void
begin_kept_by_two(void)
{
	begin_kept();
	kept_by(1, 2);
}

/* The second thread has no P. */
static void
begin_with_a_stranger(void)
{
	begin_kept();
	wf_store_relaxed(&world.foreign[1]->gate.p_number, 0u);
}

static void
use(unsigned i)
{
	(void)wf_kept_lock(&lock[i], 0);
	guarded[i]++;
	wf_kept_unlock(&lock[i], 0);
}

/* As use(), and who was there last keeps it. */
static void
use_and_keep(void)
{
	(void)wf_kept_lock(&lock[0], 0);
	guarded[0]++;
	if (wf_kept_is_held_at(&lock[0], 0))
		wf_kept_unlock(&lock[0], 0);
	else
		wf_kept_begin(&lock[0]);
}

/* Two that follow each other, as a select takes them. */
static void
use_both(unsigned i)
{
	(void)wf_kept_lock(&lock[i], 0);
	(void)wf_kept_lock(&lock[i + 1], 1);
	guarded[i]++;
	guarded[i + 1]++;
	wf_kept_unlock(&lock[i + 1], 1);
	wf_kept_unlock(&lock[i], 0);
}

static void
once(void)
{
	world_become_foreign();
	use(0);
}

static void
twice(void)
{
	world_become_foreign();
	use(0);
	use(0);
}

static void
one_then_the_other(void)
{
	world_become_foreign();
	use(0);
	use(1);
}

static void
both(void)
{
	world_become_foreign();
	use_both(0);
}

static void
both_then_one(void)
{
	world_become_foreign();
	use_both(0);
	use(1);
}

static void
the_last_two(void)
{
	world_become_foreign();
	use_both(1);
}

static void
the_other(void)
{
	world_become_foreign();
	use(1);
}

static void
keep_twice(void)
{
	world_become_foreign();
	use_and_keep();
	use_and_keep();
}

/* Who sees that nobody needs it any more lets its memory be something else. */
static void
once_and_free(void)
{
	bool is_last;

	world_become_foreign();
	(void)wf_kept_lock(&lock[0], 0);
	is_last = ++n_over == 2;
	wf_kept_unlock(&lock[0], 0);
	if (is_last)
		memset(&lock[0], 0x5a, sizeof(lock[0]));
}

/* Nobody holds one, and everybody has been there. */
static void
used(int first, int second, int third)
{
	const int expected[LOCKS] = { first, second, third };

	world_become(world.foreign[2]);
	for (unsigned i = 0; i < LOCKS; i++) {
		(void)wf_kept_lock(&lock[i], i);
		MC_ASSERT(guarded[i] == expected[i]);
		wf_kept_unlock(&lock[i], i);
	}
	for (uint32_t n = 0; n < 4; n++)
		for (uint32_t k = 0; k < KEPT_PLACES; k++)
			MC_ASSERT(wf_load_relaxed(&wf_kept[n].held[k]) == NULL);
}

#define CHECK(name, first, second, third) \
	static void name(void) \
	{ \
		used(first, second, third); \
	}

CHECK(used_3, 3, 0, 0)
CHECK(used_4, 4, 0, 0)
CHECK(used_5, 5, 0, 0)
CHECK(used_2_1, 2, 1, 0)
CHECK(used_1_2, 1, 2, 0)
CHECK(used_2_3, 2, 3, 0)
CHECK(used_1_2_1, 1, 2, 1)

SCENARIO(kept_and_wanted, .threads = { twice, once }, .setup = begin_kept, .check = used_3)
SCENARIO(kept_and_wanted_by_two, .threads = { twice, once, once }, .setup = begin_kept,
    .check = used_4)
SCENARIO(wanted_by_a_stranger, .threads = { twice, once }, .setup = begin_with_a_stranger,
    .check = used_3)
SCENARIO(wanted_while_it_holds_another, .threads = { one_then_the_other, once },
    .setup = begin_both_kept, .check = used_2_1)
SCENARIO(two_at_once, .threads = { both, the_other }, .setup = begin_both_kept,
    .check = used_1_2)
SCENARIO(each_keeps_what_the_other_wants, .threads = { both, both_then_one },
    .setup = begin_kept_by_two, .check = used_2_3)
SCENARIO(awaited_for_one_lock_only, .threads = { both, the_last_two },
    .setup = begin_kept_around, .check = used_1_2_1)
SCENARIO(kept_in_turns, .threads = { keep_twice, keep_twice }, .setup = begin,
    .check = used_4)
SCENARIO(kept_by_who_comes, .threads = { keep_twice, keep_twice, once }, .setup = begin,
    .check = used_5)
SCENARIO(kept_and_freed, .threads = { once_and_free, once_and_free }, .setup = begin_kept)
