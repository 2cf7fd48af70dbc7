/*
 * Readers counted per P (src/sync/bias.h), without the lock around them: entering and leaving by
 * any of the ways there are, while a writer ends the bias and while somebody else evicts it. Here a
 * thread is a P.
 *
 * model: src/sync/bias.c -DWF_SMALL -DBIASES=2u -DWF_SLOTS_SHARED=1u
 */
#include "explore.h"

#include "os/os.h"
#include "sched/kept.h"
#include "sync/bias.h"

#include <string.h>

const char *const mc_subjects[] = {"sync/bias", NULL};

#define N_SLOTS 4u

static _Atomic uint64_t word;
static _Atomic uint32_t writers;	/* stands for the mutex of this name in rwmutex.c */
static char memory[2];			/* what it guards: readers read, the writer writes. Plain */
static char other_lock[2];
static char n_written;
static int threads_without_p;		/* those from this number on */
static _Atomic int64_t not_left;		/* readers that stay inside */

/* ---- What bias.c calls ---- */

#ifdef WEFT_DEBUG_BUILD
void (*wf_point_hook)(const char *name);
#endif

uint32_t
wf_slots_of_ps(void)
{
	return N_SLOTS;
}

uint32_t
wf_slot(void)
{
	return mc_thread() >= threads_without_p ? WF_SLOTS_OF_PS : (uint32_t)mc_thread();
}

bool
wf_has_membarrier(void)
{
	return true;
}

int
wf_os_membarrier(void)
{
	mc_membarrier();
	return 0;
}

void
wf_os_thread_yield(void)
{
	mc_relax();
}

int
wf_os_futex_wait(const _Atomic uint32_t *at, uint32_t expected, int64_t deadline)
{
	return mc_futex_wait(at, expected, deadline);
}

int64_t
wf_os_now(void)
{
	return INT64_MAX / 2;
}

uint32_t
wf_lock_slow(struct wf_lock *l)
{
	while (!wf_trylock(l))
		mc_relax();
	return 0;
}

void
wf_membarrier(void)
{
	mc_membarrier();
}

/* ---- ---- */

static uintptr_t
us(void)
{
	return (uintptr_t)&word;
}

/* Entry 1 is free, all others are somebody's; we have none. */
static void
reset(void)
{
	memset(&wf_biases.owner, 0, sizeof(wf_biases.owner));
	memset(&wf_biases.lock, 0, sizeof(wf_biases.lock));
	wf_biases.hand = 0;
	wf_biases.evict_after = 0;
	for (unsigned i = 0; i < N_SLOTS; i++)
		memset(&wf_biases.slots[i], 0, sizeof(wf_biases.slots[i]));
	for (unsigned i = 0; i < WF_SLOTS_SHARED; i++)
		memset(&wf_biases.slots[WF_SLOTS_OF_PS + i], 0, sizeof(wf_biases.slots[0]));
	for (unsigned i = 2; i <= BIASES; i++)
		wf_store_relaxed(&wf_biases.owner[i], (uintptr_t)&other_lock[0]);
	wf_store_relaxed(&word, WORD_WISH);
	wf_store_relaxed(&writers, 0u);
	memset(memory, 0, sizeof(memory));
	n_written = 0;
	threads_without_p = 4;
	wf_store_relaxed(&not_left, 0);
}

static void
reset_biased(void)
{
	reset();
	wf_store_relaxed(&wf_biases.owner[1], us());
	wf_store_relaxed(&word, WORD_ENTRY);
}

/* A reader is inside, counted elsewhere than where it will leave. */
static void
reset_with_reader(void)
{
	reset_biased();
	wf_store_relaxed(&wf_biases.slots[0].readers[1], 1u);
}

/* The same, counted in word. */
static void
reset_with_reader_in_word(void)
{
	reset();
	wf_store_relaxed(&word, WORD_WISH + WORD_READER);
}

static void
reset_without_ps(void)
{
	reset_biased();
	threads_without_p = 0;
}

/* Readers came and went, and not where they had come. */
static void
reset_uneven(void)
{
	reset_biased();
	wf_store_relaxed(&wf_biases.slots[1].readers[1], 1u);
	wf_store_relaxed(&wf_biases.slots[2].readers[1], UINT32_MAX);
}

/* The entry was evicted, and word does not know. */
static void
reset_evicted(void)
{
	reset();
	wf_store_relaxed(&word, WORD_WISH + WORD_ENTRY);
}

/* As weft_rwmutex_tryrlock() and enter_biased(). */
static bool
enter(void)
{
	uint64_t old = wf_load_acquire(&word);

	for (;;) {
		if (old >= WORD_WISH && (old & (WORD_ENTRIES | WORD_USERS)) == 0) {
			wf_bias_claim(&word);
			old = wf_load_acquire(&word);
		}
		if ((old & WORD_ENTRIES) != 0) {
			if (wf_bias_count(&word, word_entry(old), 1) || wf_bias_settle(&word, 1))
				return true;
			old = wf_load_relaxed(&word);
		}
		while ((old & (WORD_WRITERS | WORD_ENTRIES)) == 0)
			if (wf_cas_acquire(&word, &old, old + WORD_READER))
				return true;
		if ((old & WORD_ENTRIES) == 0)
			return false;
	}
}

static void
leave_word(void)
{
	uint64_t old = wf_sub_release(&word, WORD_READER);

	MC_ASSERT((uint32_t)old != 0);
}

/* As weft_rwmutex_rlock() and rlock_slow() without a writer; with one it takes its word back. */
static bool
enter_by_word(void)
{
	uint64_t old = wf_add_acquire(&word, WORD_READER + WORD_EARN);

	if ((old & WORD_WRITERS) != 0) {
		leave_word();
		return false;
	}
	if ((old & WORD_ENTRIES) != 0 && wf_bias_settle(&word, 1))
		leave_word();
	return true;
}

/* As weft_rwmutex_runlock() and leave_biased(), while no writer waits. */
static void
leave(void)
{
	uint64_t old = wf_load_relaxed(&word);

	if ((old & WORD_ENTRIES) != 0
	    && (wf_bias_count(&word, word_entry(old), -1) || wf_bias_settle(&word, -1)))
		return;
	leave_word();
}

static void
read_and_leave(void)
{
	MC_ASSERT(memory[0] == memory[1]);
	leave();
}

static void
reader(void)
{
	if (enter())
		read_and_leave();
}

static void
reader_by_word(void)
{
	if (enter_by_word())
		read_and_leave();
}

static void
stay(void)
{
	if (enter()) {
		MC_ASSERT(memory[0] == memory[1]);
		(void)wf_add_relaxed(&not_left, 1);
	}
}

static bool
lock_writers(void)
{
	uint32_t old = 0;

	return wf_cas_acquire(&writers, &old, 1u);
}

static void
written(void)
{
	memory[0]++;
	memory[1]++;
	n_written++;
	wf_store_release(&writers, 0u);
	(void)wf_sub_release(&word, WORD_WRITER);
}

/* As weft_rwmutex_trylock(), with writers held. */
static void
try_writer(void)
{
	uint64_t old;

	if (!lock_writers())
		return;
	old = wf_load_relaxed(&word);
	if ((old & WORD_ENTRIES) != 0) {
		MC_ASSERT(wf_bias_end(&word) >= 0);
		old = wf_load_relaxed(&word);
	}
	if ((old & (WORD_USERS | WORD_ENTRIES)) == 0
	    && wf_cas_acquire(&word, &old, old + WORD_WRITER))
		written();
	else
		wf_store_release(&writers, 0u);
}

/* As weft_rwmutex_lock(), W6 and then the bias; it gives up where it would wait. */
static void
writer(void)
{
	uint64_t old;
	int64_t n;

	if (!lock_writers())
		return;
	old = wf_add_acquire(&word, WORD_WRITER);
	MC_ASSERT((old & WORD_WRITERS) == 0 || (old & WORD_ENTRIES) == 0);
	if ((old & WORD_WRITERS) != 0) {	/* W8 of the one before */
		wf_store_release(&writers, 0u);
		(void)wf_sub_release(&word, WORD_WRITER);
		return;
	}
	n = (uint32_t)old;
	if ((old & WORD_ENTRIES) != 0) {
		int64_t elsewhere = wf_bias_end(&word);

		MC_ASSERT(elsewhere >= 0);
		n += elsewhere;
	}
	if (n == 0)
		written();
	else {
		wf_store_release(&writers, 0u);
		(void)wf_sub_release(&word, WORD_WRITER);
	}
}

/* Another lock wants an entry: it is ours that is looked at. */
static void
evict(void)
{
	static _Atomic uint64_t other;

	wf_store_relaxed(&other, WORD_WISH);
	wf_bias_claim(&other);
}

static int64_t
counted(void)
{
	int64_t sum = (uint32_t)wf_load_relaxed(&word);

	if (wf_load_relaxed(&wf_biases.owner[1]) != us())
		return sum;
	for (unsigned i = 0; i < N_SLOTS; i++)
		sum += (int32_t)wf_load_relaxed(&wf_biases.slots[i].readers[1]);
	return sum + (int32_t)wf_load_relaxed(&wf_biases.slots[WF_SLOTS_OF_PS].readers[1]);
}

/* The counts agree; and no entry is lost: one that is ours adds up to what is inside. */
static void
all_left(void)
{
	MC_ASSERT(counted() == wf_load_relaxed(&not_left));
	MC_ASSERT(memory[0] == n_written);
	if (wf_load_relaxed(&wf_biases.owner[1]) == us() && word_entry(wf_load_relaxed(&word)) == 1)
		MC_ASSERT((uint32_t)wf_load_relaxed(&word) == 0);
	MC_ASSERT(wf_load_relaxed(&writers) == 0);
}

#define ALL .check = all_left, .runs = 3000

SCENARIO(two_readers_begin, .threads = {reader, reader}, .setup = reset, ALL)
SCENARIO(two_kinds_of_readers_begin, .threads = {reader, reader_by_word}, .setup = reset, ALL)
SCENARIO(three_readers_begin, .threads = {reader, reader_by_word, reader_by_word},
    .setup = reset, ALL)
SCENARIO(begin_and_write, .threads = {reader, reader_by_word, writer}, .setup = reset, ALL)
SCENARIO(begin_and_try_write, .threads = {reader, reader_by_word, try_writer}, .setup = reset, ALL)
SCENARIO(begin_beside_one_inside, .threads = {reader, read_and_leave, writer},
    .setup = reset_with_reader_in_word, ALL)
SCENARIO(read_and_write, .threads = {reader, writer}, .setup = reset_biased, ALL)
SCENARIO(read_and_try_write, .threads = {reader, try_writer}, .setup = reset_biased, ALL)
SCENARIO(two_readers_and_write, .threads = {reader, reader_by_word, writer},
    .setup = reset_biased, ALL)
SCENARIO(two_readers_and_try_write, .threads = {reader, reader_by_word, try_writer},
    .setup = reset_biased, ALL)
SCENARIO(write_twice, .threads = {writer, reader, try_writer}, .setup = reset_biased, ALL)
SCENARIO(stay_and_write, .threads = {stay, writer}, .setup = reset_biased, ALL)
SCENARIO(without_a_p, .threads = {reader, writer, reader_by_word, reader},
    .setup = reset_biased, ALL)

SCENARIO(share_a_slot, .threads = {reader, reader, writer}, .setup = reset_without_ps, ALL)
SCENARIO(begin_again, .threads = {reader, writer, reader}, .setup = reset_uneven, ALL)
SCENARIO(begin_again_evicted, .threads = {reader, reader, reader}, .setup = reset_evicted, ALL)
SCENARIO(begin_again_evicted_by_word, .threads = {reader_by_word, reader, reader},
    .setup = reset_evicted, ALL)

SCENARIO(leave_elsewhere_and_write, .threads = {read_and_leave, writer},
    .setup = reset_with_reader, ALL)
SCENARIO(leave_elsewhere_and_try_write, .threads = {read_and_leave, try_writer},
    .setup = reset_with_reader, ALL)
SCENARIO(leave_elsewhere_and_evict, .threads = {read_and_leave, evict},
    .setup = reset_with_reader, ALL)
SCENARIO(leave_elsewhere_write_and_evict, .threads = {read_and_leave, writer, evict},
    .setup = reset_with_reader, ALL)

SCENARIO(read_and_evict, .threads = {reader, evict}, .setup = reset_biased, ALL)
SCENARIO(read_by_word_and_evict, .threads = {reader_by_word, evict}, .setup = reset_biased, ALL)
SCENARIO(two_readers_and_evict, .threads = {reader, reader_by_word, evict},
    .setup = reset_biased, ALL)
SCENARIO(read_write_and_evict, .threads = {reader, writer, evict}, .setup = reset_biased, ALL)
SCENARIO(read_try_write_and_evict, .threads = {reader, try_writer, evict},
    .setup = reset_biased, ALL)
SCENARIO(stay_and_evict, .threads = {stay, reader_by_word, evict}, .setup = reset_biased, ALL)
