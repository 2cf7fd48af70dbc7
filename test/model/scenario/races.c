/*
 * The explorer's own tests: which plain accesses race. Each strategy alone must find those that do,
 * and no others.
 */
#include "explore.h"

#include "base/atomic.h"

#include <string.h>

const char *const mc_subjects[] = { "weak_spot", NULL };	/* of ../weaken.sh */

static _Atomic int x, y;
static int result[4];		/* each written by one thread */
static int *volatile nowhere;

static _Alignas(8) struct {
	char byte[8];
	_Alignas(8) char wide[24];
	int plain;
	_Atomic int atomic;
} shared;

struct odd {
	char pad;
	uint64_t word;
} __attribute__((packed));

static void
reset(void)
{
	wf_store_relaxed(&x, 0);
	wf_store_relaxed(&y, 0);
	memset(&shared, 0, sizeof(shared));
	memset(result, 0, sizeof(result));
	nowhere = NULL;
}

#define PAIR(id, left, right) \
	static void id##_1(void) { left; } \
	static void id##_2(void) { right; }
#define OF(id) .threads = { id##_1, id##_2 }, .setup = reset
#define RACES .finds = "data race: thread "

/* ---- Which accesses conflict ---- */

PAIR(two_writes, shared.plain = 1, shared.plain = 2)
PAIR(write_and_read, shared.plain = 1, result[0] = shared.plain)
PAIR(two_reads, result[1] = shared.plain, result[0] = shared.plain)
PAIR(plain_and_atomic_store, result[0] = *(volatile int *)(uintptr_t)&shared.atomic,
    wf_store_seqcst(&shared.atomic, 1))
PAIR(plain_write_and_atomic_load, memset(&shared.atomic, 1, 1),
    result[0] = wf_load_seqcst(&shared.atomic))
PAIR(plain_and_atomic_load, result[1] = *(volatile int *)(uintptr_t)&shared.atomic,
    result[0] = wf_load_relaxed(&shared.atomic))
PAIR(two_atomics, wf_store_relaxed(&shared.atomic, 1), wf_store_relaxed(&shared.atomic, 2))

SCENARIO(two_writes, OF(two_writes), RACES)
SCENARIO(write_and_read, OF(write_and_read), RACES)
SCENARIO(two_reads, OF(two_reads))
SCENARIO(plain_and_atomic_store, OF(plain_and_atomic_store), RACES)
SCENARIO(plain_write_and_atomic_load, OF(plain_write_and_atomic_load), RACES)
SCENARIO(plain_and_atomic_load, OF(plain_and_atomic_load))
SCENARIO(two_atomics, OF(two_atomics))

/* ---- Which bytes ---- */

PAIR(neighbours, shared.byte[1] = 1, shared.byte[2] = 1)
PAIR(part_of_a_word, memset(shared.byte, 1, 4), shared.byte[3] = 1)
PAIR(behind_the_word, memset(shared.byte, 1, 4), shared.byte[4] = 1)
PAIR(across_words, ((struct odd *)(void *)shared.wide)->word = 1, shared.wide[8] = 1)
PAIR(behind_an_odd_word, ((struct odd *)(void *)shared.wide)->word = 1, shared.wide[9] = 1)
PAIR(end_of_a_range, memset(shared.wide, 1, 24), result[0] = shared.wide[23])
PAIR(source_of_a_copy, memcpy(result, shared.wide, 16), shared.wide[15] = 1)
PAIR(target_of_a_copy, memcpy(shared.wide, shared.byte, 8), result[0] = shared.wide[7])
PAIR(source_of_a_move, memmove(result, shared.wide, 16), shared.wide[15] = 1)

SCENARIO(neighbours, OF(neighbours))
SCENARIO(part_of_a_word, OF(part_of_a_word), RACES)
SCENARIO(behind_the_word, OF(behind_the_word))
SCENARIO(across_words, OF(across_words), RACES)
SCENARIO(behind_an_odd_word, OF(behind_an_odd_word))
SCENARIO(end_of_a_range, OF(end_of_a_range), RACES)
SCENARIO(source_of_a_copy, OF(source_of_a_copy), RACES)
SCENARIO(target_of_a_copy, OF(target_of_a_copy), RACES)
SCENARIO(source_of_a_move, OF(source_of_a_move), RACES)

/* The wide write is not forgotten for the narrow one that follows it. */
static void
wide_then_narrow(void)
{
	memset(shared.byte, 1, 8);
	shared.byte[0] = 2;
	wf_store_relaxed(&x, 1);
}

static void
far_from_the_narrow(void)
{
	if (wf_load_relaxed(&x) == 1)
		result[0] = shared.byte[7];
}

SCENARIO(wide_and_narrow, .threads = { wide_then_narrow, far_from_the_narrow }, .setup = reset,
    RACES)

/* Nor is one of many: each byte by itself is written, and then read. */
static void
each_byte(void)
{
	for (int i = 0; i < 8; i++)
		shared.byte[i] = 1;
	for (int i = 0; i < 8; i++)
		result[1] += shared.byte[i];
	wf_store_relaxed(&x, 1);
}

static void
first_byte(void)
{
	if (wf_load_relaxed(&x) == 1)
		result[0] = shared.byte[0];
}

SCENARIO(many_accesses, .threads = { each_byte, first_byte }, .setup = reset, RACES)

/* ---- What is an edge ---- */

#define MP(id, store, load) \
	PAIR(id, shared.plain = 1; store, if (load) result[0] = shared.plain)

MP(released, wf_store_release(&x, 1), wf_load_acquire(&x) == 1)
MP(released_twice, wf_store_release(&x, 1); wf_store_release(&x, 2), wf_load_acquire(&x) == 1)
MP(not_acquired, wf_store_release(&x, 1), wf_load_relaxed(&x) == 1)
MP(not_released, wf_store_relaxed(&x, 1), wf_load_acquire(&x) == 1)
/* One order of all SC operations is no edge by itself. */
MP(other_value, wf_store_seqcst(&x, 1), wf_load_seqcst(&x) != 2)
/* What was there before the release was known only by an older value. */
PAIR(behind_the_release, wf_store_release(&x, 1); shared.plain = 1,
    if (wf_load_acquire(&x) == 1) result[0] = shared.plain)
PAIR(behind_the_rmw, (void)wf_add_acqrel(&x, 1); shared.plain = 1,
    if (wf_add_acqrel(&x, 1) == 1) result[0] = shared.plain)
PAIR(behind_the_fence, wf_fence_acqrel(); shared.plain = 1; wf_store_relaxed(&x, 1),
    if (wf_load_acquire(&x) == 1) result[0] = shared.plain)
/* Reads are before the release, and what is written behind the acquire is no race with them. */
PAIR(read_then_written, result[0] = shared.plain; wf_store_release(&x, 1),
    if (wf_load_acquire(&x) == 1) shared.plain = 1)
PAIR(read_and_written, result[0] = shared.plain; wf_store_relaxed(&x, 1),
    if (wf_load_acquire(&x) == 1) shared.plain = 1)

SCENARIO(released, OF(released))
SCENARIO(released_twice, OF(released_twice))
SCENARIO(not_acquired, OF(not_acquired), RACES)
SCENARIO(not_released, OF(not_released), RACES)
SCENARIO(other_value, OF(other_value), RACES)
SCENARIO(behind_the_release, OF(behind_the_release), RACES)
SCENARIO(behind_the_rmw, OF(behind_the_rmw), RACES)
SCENARIO(behind_the_fence, OF(behind_the_fence), RACES)
SCENARIO(read_then_written, OF(read_then_written))
SCENARIO(read_and_written, OF(read_and_written), RACES)

/* ---- The barrier of all threads ---- */

/* It releases what a thread did before it passed, and nothing behind that. */
static void
written_and_told(void)
{
	(void)wf_load_relaxed(&y);
	shared.plain = 1;
	(void)wf_load_relaxed(&y);
	wf_store_relaxed(&x, 1);
}

static void
barrier_then_read(void)
{
	if (wf_load_relaxed(&x) == 1)
		return;
	mc_membarrier();
	if (wf_load_acquire(&x) == 1)
		result[0] = shared.plain;
}

static void
told_then_barrier(void)
{
	if (wf_load_relaxed(&x) == 1) {
		mc_membarrier();
		result[0] = shared.plain;
	}
}

static void
tell(void)
{
	shared.plain = 1;
	wf_store_relaxed(&x, 1);
}

/* Nothing that is shared stands between the barrier, which it sleeps through, and the write. */
static void
sleep_and_tell(void)
{
	(void)mc_futex_wait(&y, 0, INT64_MAX);
	tell();
}

static void
barrier_then_wake(void)
{
	mc_membarrier();
	wf_store_relaxed(&y, 1);
	(void)mc_futex_wake(&y, 1);
	if (wf_load_acquire(&x) == 1)
		result[0] = shared.plain;
}

SCENARIO(barrier_before_the_write, .threads = { written_and_told, barrier_then_read },
    .setup = reset, RACES)
SCENARIO(barrier_during_a_wait, .threads = { sleep_and_tell, barrier_then_wake },
    .setup = reset, RACES)
SCENARIO(barrier_behind_the_flag, .threads = { tell, told_then_barrier }, .setup = reset,
    RACES)

/* ---- Threads that begin ---- */

static void
child(void *arg)
{
	(void)arg;
	result[0] = shared.plain;
}

static void
write_then_spawn(void)
{
	shared.plain = 1;
	(void)mc_spawn(child, NULL);
}

static void
spawn_then_write(void)
{
	(void)mc_spawn(child, NULL);
	shared.plain = 1;
}

SCENARIO(written_before_the_start, .threads = { write_then_spawn }, .setup = reset)
SCENARIO(written_behind_the_start, .threads = { spawn_then_write }, .setup = reset, RACES)

/* ---- What is not a race, and ends an execution all the same ---- */

static void
crash(void)
{
	if (wf_add_relaxed(&x, 1) == 1)
		*nowhere = 1;
}

SCENARIO(crashes, .threads = { crash, crash }, .setup = reset, .finds = "crash: thread ")

/* ---- Orders that ../weaken.sh weakens: all are needed but one ---- */

static void
weak_spot_gives(void)
{
	shared.plain = 1;
	wf_store_release(&x, 1);
	wf_store_release(&y, 1);
}

static void
weak_spot_takes(void)
{
	(void)wf_load_acquire(&y);
	if (wf_load_acquire(&x) == 1)
		result[0] = shared.plain;
}

SCENARIO(weak_spots, .threads = { weak_spot_gives, weak_spot_takes },
    .setup = reset)
