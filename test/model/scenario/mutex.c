/*
 * Mutex, cond and rwmutex (src/sync/README.md, M1-M9, C1-C6, W1-W10): what they guard is plain, no
 * wake is lost, and whoever knows that nobody needs one any more may free it (the last touch).
 *
 * model: src/sync/mutex.c src/sync/cond.c src/sync/rwmutex.c src/sync/bias.c src/sync/keep.c
 * model: -DSPIN_PAUSES=1 -DBIASES=2u -DWF_SLOTS_SHARED=1u
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

#include "sync/bias.h"
#include "sync/mutex.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "sync/mutex", "sync/cond", "sync/rwmutex", NULL };

#define STARVED 2000000		/* a wait that long ends in a hand-over */

static struct {
	weft_mutex mutex;
	weft_cond cond;
	weft_rwmutex rw;
} memory;

static weft_cond *const cond = &memory.cond;
static weft_rwmutex *const rw = &memory.rw;

static void
begin(void)
{
	world_foreign(3);
	memset(&memory, 0, sizeof(memory));
	guarded = n_over = 0;
	mutex = &memory.mutex;
}

/* Who sees that nobody needs the object any more lets its memory be something else. */
static void
free_memory(void)
{
	memset(&memory, 0x5a, sizeof(memory));
}

/* ---- Mutex ---- */

static void
try_once(void)
{
	world_become_foreign();
	if (weft_mutex_trylock(mutex)) {
		guarded++;
		weft_mutex_unlock(mutex);
	}
}

/* Holds it for so long that who waits starves. */
static void
hold_long(void)
{
	world_become_foreign();
	weft_mutex_lock(mutex);
	guarded++;
	mc_advance(STARVED);
	weft_mutex_unlock(mutex);
	lock_once();
}

static void
once_and_free(void)
{
	bool is_last;

	world_become_foreign();
	weft_mutex_lock(mutex);
	is_last = ++n_over == 3;
	weft_mutex_unlock(mutex);
	if (is_last)
		free_memory();
}

static void
hold_long_and_free(void)
{
	bool is_last;

	world_become_foreign();
	weft_mutex_lock(mutex);
	mc_advance(STARVED);
	is_last = ++n_over == 3;
	weft_mutex_unlock(mutex);
	if (is_last)
		free_memory();
}

static void
is_free(void)
{
	struct mutex *m = (struct mutex *)(void *)mutex;

	MC_ASSERT((wf_load_relaxed(&m->state) & ~MUTEX_WOKEN) == 0);
	MC_ASSERT(m->waiters.head == NULL);
}

SCENARIO(three_lock, .threads = { twice, once, once }, .setup = begin, .check = is_free)
SCENARIO(three_starve, .threads = { hold_long, twice, twice }, .setup = begin, .check = is_free)
SCENARIO(one_gives_up, .threads = { twice, until, once }, .setup = begin, .check = is_free,
    .early = 1)
SCENARIO(two_give_up_and_one_tries, .threads = { until, until, hold_long }, .setup = begin,
    .check = is_free, .early = 2)
SCENARIO(one_tries, .threads = { try_once, once, once }, .setup = begin, .check = is_free)
SCENARIO(the_last_owner_frees, .threads = { once_and_free, once_and_free, once_and_free },
    .setup = begin)
SCENARIO(the_last_owner_frees_what_starved,
    .threads = { hold_long_and_free, hold_long_and_free, once_and_free }, .setup = begin)

/* ---- Cond ---- */

static void
wait_for_it(void)
{
	world_become_foreign();
	weft_mutex_lock(mutex);
	while (guarded == 0)
		MC_ASSERT(weft_cond_wait(cond, mutex, WEFT_FOREVER) == 0);
	guarded--;
	weft_mutex_unlock(mutex);
	world_scribble();
}

static void
wait_for_it_until(void)
{
	world_become_foreign();
	weft_mutex_lock(mutex);
	while (guarded == 0)
		if (weft_cond_wait(cond, mutex, DEADLINE) < 0)
			break;
	if (guarded > 0)
		guarded--;
	weft_mutex_unlock(mutex);
	world_scribble();
}

/* Who gives up takes nothing, so that what was given is the other's. */
static void
wait_or_leave(void)
{
	bool gave_up = false;

	world_become_foreign();
	weft_mutex_lock(mutex);
	while (guarded == 0 && !gave_up)
		gave_up = weft_cond_wait(cond, mutex, DEADLINE) < 0;
	if (!gave_up)
		guarded--;
	weft_mutex_unlock(mutex);
	world_scribble();
}

static void
is_taken(void)
{
	is_free();
	MC_ASSERT(guarded == 0);
}

/* The signal comes when the mutex is free again. */
static void
give(int n)
{
	weft_mutex_lock(mutex);
	guarded += n;
	weft_mutex_unlock(mutex);
}

static void
give_one(void)
{
	world_become_foreign();
	give(1);
	weft_cond_signal(cond);
}

static void
give_two(void)
{
	give_one();
	give_one();
}

static void
give_all(void)
{
	world_become_foreign();
	give(2);
	weft_cond_broadcast(cond);
}

SCENARIO(a_signal, .threads = { wait_for_it, give_one }, .setup = begin, .check = is_free)
SCENARIO(two_signals, .threads = { wait_for_it, wait_for_it, give_two }, .setup = begin,
    .check = is_free)
SCENARIO(a_broadcast, .threads = { wait_for_it, wait_for_it, give_all }, .setup = begin,
    .check = is_free)
SCENARIO(a_signal_meets_a_deadline, .threads = { wait_for_it_until, wait_for_it, give_two },
    .setup = begin, .check = is_free, .early = 1)
SCENARIO(a_signal_is_not_for_who_gave_up, .threads = { wait_or_leave, wait_for_it, give_one },
    .setup = begin, .check = is_taken, .may_rest = true, .early = 1)

/* ---- RWMutex ---- */

static void
reader(void)
{
	int first;

	world_become_foreign();
	weft_rwmutex_rlock(rw);
	first = guarded;
	MC_ASSERT(first == 0 || first == 2 || first == 4);
	weft_rwmutex_runlock(rw);
	world_scribble();
}

static void
write_it(void)
{
	weft_rwmutex_lock(rw);
	guarded++;
	guarded++;
	weft_rwmutex_unlock(rw);
	world_scribble();
}

static void
writer(void)
{
	world_become_foreign();
	write_it();
}

static void
reader_twice(void)
{
	reader();
	reader();
}

static void
try_reader(void)
{
	world_become_foreign();
	if (weft_rwmutex_tryrlock(rw)) {
		MC_ASSERT(guarded % 2 == 0);
		weft_rwmutex_runlock(rw);
	}
}

static void
try_writer(void)
{
	world_become_foreign();
	if (weft_rwmutex_trylock(rw)) {
		guarded += 2;
		weft_rwmutex_unlock(rw);
	}
}

/* Readers are counted elsewhere, at entry 1; what bias.c does by itself is in bias.c's program. */
static void
begin_biased(void)
{
	begin();
	memset(&wf_biases.owner, 0, sizeof(wf_biases.owner));
	memset(&wf_biases.lock, 0, sizeof(wf_biases.lock));
	wf_biases.hand = 0;
	wf_biases.evict_after = 0;
	memset(&wf_biases.slots[0], 0, sizeof(wf_biases.slots[0]));
	memset(&wf_biases.slots[WF_SLOTS_OF_PS], 0, sizeof(wf_biases.slots[0]));
	wf_store_relaxed(&wf_biases.owner[1], (uintptr_t)rw);
	wf_store_relaxed((_Atomic uint64_t *)(void *)rw, WORD_ENTRY);
}

/* Frees it when a writer before has been: it has the word of it that nobody else comes. */
static void
read_what_was_written_and_free(void)
{
	bool was_written;

	world_become_foreign();
	weft_rwmutex_rlock(rw);
	was_written = guarded != 0;
	weft_rwmutex_runlock(rw);
	if (was_written)
		free_memory();
}

static void
write_what_was_written_and_free(void)
{
	bool was_written;

	world_become_foreign();
	weft_rwmutex_lock(rw);
	was_written = guarded != 0;
	guarded = 2;
	weft_rwmutex_unlock(rw);
	if (was_written)
		free_memory();
}

SCENARIO(readers_and_a_writer, .threads = { reader, reader_twice, writer }, .setup = begin)
SCENARIO(a_reader_and_writers, .threads = { reader, writer, writer }, .setup = begin)
SCENARIO(some_try, .threads = { try_reader, try_writer, writer }, .setup = begin)
SCENARIO(biased_readers_and_a_writer, .threads = { reader, reader_twice, writer },
    .setup = begin_biased)
SCENARIO(biased_some_try, .threads = { try_reader, try_writer, writer }, .setup = begin_biased)
SCENARIO(a_biased_reader_frees, .threads = { writer, read_what_was_written_and_free },
    .setup = begin_biased)
SCENARIO(a_reader_frees, .threads = { writer, read_what_was_written_and_free }, .setup = begin)
SCENARIO(a_writer_frees,
    .threads = { write_what_was_written_and_free, write_what_was_written_and_free },
    .setup = begin)
