/*
 * The explorer's own tests: futexes, deadlines, deadlock and pauses. Each strategy alone must come
 * to the known verdict.
 */
#include "explore.h"

#include "base/atomic.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { NULL };

#define SOON 2000		/* the clock begins at 1000 */
#define LATER 3000

static _Atomic uint32_t word, other;
static int plain;
static int result[MC_THREADS + 1];	/* by number of the thread that writes it */

static void
reset(void)
{
	wf_store_relaxed(&word, 0u);
	wf_store_relaxed(&other, 0u);
	plain = 0;
	memset(result, 0, sizeof(result));
}

/* ---- Waiting and waking ---- */

static void
wait_once(void)
{
	result[mc_thread()] = mc_futex_wait(&word, 0, INT64_MAX);
}

static void
wait_until(void)
{
	result[mc_thread()] = mc_futex_wait(&word, 0, SOON);
}

static void
set_and_wake(void)
{
	wf_store_release(&word, 1u);
	(void)mc_futex_wake(&word, 1);
}

static void
only_wake(void)
{
	(void)mc_futex_wake(&word, 1);
}

static const char *
name_of(int error)
{
	return error == 0 ? "woken" : error == -EAGAIN ? "again" :
	    error == -ETIMEDOUT ? "late" : "odd";
}

static void
say_how(void)
{
	mc_outcome("%s", name_of(result[1]));
}

/* Asleep for ever is an end that may_rest allows. */
static void
say_who_sleeps(void)
{
	mc_outcome("%d%d", mc_has_ended(1), mc_has_ended(2));
}

SCENARIO(woken_or_again, .threads = { wait_once, set_and_wake }, .setup = reset,
    .check = say_how, .outcomes = "woken again")
/* A wake is not kept for who comes later. */
SCENARIO(wakes_are_not_kept, .threads = { wait_once, only_wake }, .setup = reset,
    .finds = "deadlock: thread 1 sleeps for ever")
SCENARIO(sleeps_or_not, .threads = { wait_once, only_wake }, .setup = reset,
    .check = say_who_sleeps, .may_rest = true, .outcomes = "01 11")
/* One wake wakes one, and it may be either. */
SCENARIO(one_of_two, .threads = { wait_once, wait_once, set_and_wake }, .setup = reset,
    .finds = "sleeps for ever")
SCENARIO(either_of_two, .threads = { wait_once, wait_once, set_and_wake }, .setup = reset,
    .check = say_who_sleeps, .may_rest = true, .outcomes = "01 10 11")

static void
wake_all(void)
{
	wf_store_release(&word, 1u);
	(void)mc_futex_wake(&word, 2);
}

static void
wake_the_other(void)
{
	wf_store_release(&word, 1u);
	(void)mc_futex_wake(&other, 2);
}

SCENARIO(both_of_two, .threads = { wait_once, wait_once, wake_all }, .setup = reset)
SCENARIO(another_word, .threads = { wait_once, wake_the_other }, .setup = reset,
    .finds = "sleeps for ever")

/* ---- For no reason, and too late ---- */

SCENARIO(for_no_reason, .threads = { wait_once, set_and_wake }, .setup = reset,
    .check = say_who_sleeps, .wakes = 1, .may_rest = true, .outcomes = "11")

/* Looks with an RMW among RMWs, which reads the newest. */
static void
wait_and_look(void)
{
	if (mc_futex_wait(&word, 0, INT64_MAX) == 0)
		result[1] = (int)wf_add_acquire(&word, 0u);
	else
		result[1] = 2;
}

static void
change_and_wake(void)
{
	(void)wf_add_release(&word, 1u);
	(void)mc_futex_wake(&word, 1);
}

static void
say_first(void)
{
	mc_outcome("%d", result[1]);
}

SCENARIO(woken_with_a_reason, .threads = { wait_and_look, change_and_wake }, .setup = reset,
    .check = say_first, .outcomes = "1 2")
SCENARIO(woken_without, .threads = { wait_and_look, change_and_wake }, .setup = reset,
    .check = say_first, .wakes = 1, .outcomes = "0 1 2")
SCENARIO(too_late, .threads = { wait_until, set_and_wake }, .setup = reset, .check = say_how,
    .early = 1, .outcomes = "woken again late")
/* Without `early` a deadline passes only when nobody can go on. */
SCENARIO(in_time, .threads = { wait_until, set_and_wake }, .setup = reset, .check = say_how,
    .outcomes = "woken again")
SCENARIO(nobody_comes, .threads = { wait_until }, .setup = reset, .check = say_how,
    .outcomes = "late")

static void
wait_for_the_past(void)
{
	result[1] = mc_futex_wait(&word, 0, 1000);
}

SCENARIO(already_late, .threads = { wait_for_the_past, only_wake }, .setup = reset,
    .check = say_how, .outcomes = "late")

/* The earlier of two deadlines passes first, and the clock shows it. */
static void
until_later(void)
{
	(void)mc_futex_wait(&other, 0, LATER);
	MC_ASSERT(mc_now() == LATER);
	result[1] = (int)wf_add_relaxed(&word, 1u);
}

static void
until_soon(void)
{
	(void)mc_futex_wait(&other, 0, SOON);
	MC_ASSERT(mc_now() == SOON);
	result[2] = (int)wf_add_relaxed(&word, 1u);
}

static void
say_both(void)
{
	mc_outcome("%d,%d", result[1], result[2]);
}

SCENARIO(two_deadlines, .threads = { until_later, until_soon }, .setup = reset,
    .check = say_both, .outcomes = "1,0")

static void
moves_the_clock(void)
{
	int64_t before = mc_now();

	mc_advance(500);
	result[mc_thread()] = (int)(mc_now() - before);
}

SCENARIO(the_clock_is_one, .threads = { moves_the_clock, moves_the_clock }, .setup = reset,
    .check = say_both, .outcomes = "500,500 1000,500 500,1000")

/* ---- Deadlock ---- */

static void
wait_here_wake_there(void)
{
	while (wf_load_acquire(&word) == 0)
		(void)mc_futex_wait(&word, 0, INT64_MAX);
	wf_store_release(&other, 1u);
	(void)mc_futex_wake(&other, 1);
}

static void
wait_there_wake_here(void)
{
	while (wf_load_acquire(&other) == 0)
		(void)mc_futex_wait(&other, 0, INT64_MAX);
	wf_store_release(&word, 1u);
	(void)mc_futex_wake(&word, 1);
}

SCENARIO(each_awaits_the_other, .threads = { wait_here_wake_there, wait_there_wake_here },
    .setup = reset, .finds = "sleeps for ever")

/* A wake for no reason would save who was not woken: it does not come when nothing else can. */
static void
only_set(void)
{
	wf_store_release(&word, 1u);
}

SCENARIO(deadlock_behind_wakes, .threads = { wait_here_wake_there, only_set }, .setup = reset,
    .wakes = 1, .finds = "sleeps for ever")

/* ---- A mutex with a history: 0 free, 1 held, 2 held and wanted (Drepper, 2004) ---- */

static void
unlock(void)
{
	if (wf_xchg_release(&word, 0u) == 2)
		(void)mc_futex_wake(&word, 1);
}

static void
lock(uint32_t when_woken)
{
	uint32_t seen = 0;

	if (wf_cas_acquire(&word, &seen, 1u))
		return;
	while (wf_xchg_acquire(&word, 2u) != 0)
		(void)mc_futex_wait(&word, 2, INT64_MAX);
	if (when_woken == 1)
		wf_store_relaxed(&word, 1u);
}

static void
locker(void)
{
	lock(2);
	plain++;
	unlock();
}

/* Who was woken forgets that there may be others. */
static void
forgetful_locker(void)
{
	lock(1);
	plain++;
	unlock();
}

static void
weak_unlocker(void)
{
	lock(2);
	plain++;
	if (wf_xchg_relaxed(&word, 0u) == 2)
		(void)mc_futex_wake(&word, 1);
}

SCENARIO(mutex, .threads = { locker, locker, locker }, .setup = reset, .wakes = 1)
SCENARIO(mutex_forgets, .threads = { forgetful_locker, forgetful_locker, forgetful_locker },
    .setup = reset, .finds = "sleeps for ever")
SCENARIO(mutex_weak, .threads = { weak_unlocker, locker }, .setup = reset, .finds = "data race")

/* ---- Pauses ---- */

static void
pause_for_word(void)
{
	while (wf_load_acquire(&word) == 0)
		wf_cpu_relax();
	plain++;
}

static void
write_then_word(void)
{
	plain = 1;
	wf_store_release(&word, 1u);
}

static void
word_then_write(void)
{
	wf_store_release(&word, 1u);
	plain = 1;
}

SCENARIO(paused, .threads = { pause_for_word, pause_for_word, write_then_word }, .setup = reset,
    .finds = "data race")
SCENARIO(paused_alone, .threads = { pause_for_word, write_then_word }, .setup = reset)
SCENARIO(paused_and_raced, .threads = { pause_for_word, word_then_write }, .setup = reset,
    .finds = "data race")

/* Two that pause for each other's step go on in turns. */
static void
odd_turns(void)
{
	for (uint32_t i = 0; i < 4; i += 2) {
		while (wf_load_acquire(&word) != i)
			wf_cpu_relax();
		plain++;
		wf_store_release(&word, i + 1);
	}
}

static void
even_turns(void)
{
	for (uint32_t i = 1; i < 4; i += 2) {
		while (wf_load_acquire(&word) != i)
			wf_cpu_relax();
		plain++;
		wf_store_release(&word, i + 1);
	}
}

static void
all_turns(void)
{
	MC_ASSERT(plain == 4);
}

SCENARIO(in_turns, .threads = { odd_turns, even_turns }, .setup = reset, .check = all_turns)

/* Who pauses with a patience that may end: both ends are tried. */
static void
pause_a_little(void)
{
	for (int i = 0; i < 3 && wf_load_acquire(&word) == 0; i++)
		wf_cpu_relax();
	result[1] = (int)wf_load_acquire(&word);
}

static void
write_word(void)
{
	wf_store_release(&word, 1u);
}

SCENARIO(patience_ends, .threads = { pause_a_little, write_word }, .setup = reset,
    .check = say_first, .early = 3, .outcomes = "0 1")
