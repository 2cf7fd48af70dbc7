/*
 * Stacks of kernel threads (src/os/thread_stack.c) and their signal stacks: below each is a guard,
 * no two threads are on one, and what many threads left behind is given back.
 */
#include "base/race.h"
#include "os/os.h"

#include "base/atomic.h"

#include "test.h"
#include "window.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

#define STACK_BYTES ((size_t)256 << 10)
#define MARKED_BYTES ((size_t)64 << 10)
#define MANY 200

static atomic_int begun, ended;
static atomic_bool may_end;

static void
start(void (*fn)(void *), void *arg)
{
	EXPECT_EQ(wf_os_thread_start(fn, arg, STACK_BYTES, /* block_signals */ true), 0);
}

static void
look_below(void *arg)
{
	uintptr_t lo, hi;

	(void)arg;
	EXPECT_EQ(wf_os_thread_stack(&lo, &hi), 0);
	EXPECT_EQ(hi - lo, STACK_BYTES);
	EXPECT((uintptr_t)__builtin_frame_address(0) - lo < STACK_BYTES);
	EXPECT(wf_os_faults((const void *)(lo - 1)));
	EXPECT(!wf_os_faults((const void *)lo));
	atomic_fetch_add(&ended, 1);
}

/* Also where several were mapped together. */
TEST(below_each_stack_is_a_guard)
{
	for (int i = 0; i < 40; i++)
		start(look_below, NULL);
	await_at_least(&ended, 40);
}

/* Writes its number all over its stack and its signal stack, and finds it there when all have. */
static void
be_alone(void *arg)
{
	volatile unsigned char mine[MARKED_BYTES];
	unsigned char number = (unsigned char)(uintptr_t)arg, *sig;
	stack_t off = {.ss_flags = SS_DISABLE};

	EXPECT_EQ(sigaltstack(&off, NULL), 0);	/* a sanitizer's */
	sig = wf_os_sigaltstack_new(MARKED_BYTES);
	EXPECT(sig != NULL);
	memset(sig, number, MARKED_BYTES);
	for (size_t i = 0; i < sizeof(mine); i++)
		mine[i] = number;
	atomic_fetch_add(&begun, 1);
	while (!atomic_load(&may_end))
		pause_ms(1);
	for (size_t i = 0; i < sizeof(mine); i += 64)
		EXPECT_EQ(mine[i], number);
	for (size_t i = 0; i < MARKED_BYTES; i += 64)
		EXPECT_EQ(sig[i], number);
	wf_os_sigaltstack_free(sig, MARKED_BYTES);
	atomic_fetch_add(&ended, 1);
}

/* The later ones on what the first have left, and while those still end. */
TEST(no_two_threads_are_on_one_stack)
{
	for (int round = 1; round <= 3; round++) {
		atomic_store(&may_end, false);
		for (int i = 0; i < MANY; i++)
			start(be_alone, (void *)(uintptr_t)(i + round));
		await_at_least(&begun, round * MANY);
		atomic_store(&may_end, true);
		await_at_least(&ended, round * MANY);
	}
}

static void
do_nothing(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ended, 1);
}

static _Atomic uintptr_t lows[MANY];

static void
note_stack(void *arg)
{
	uintptr_t lo, hi;

	EXPECT_EQ(wf_os_thread_stack(&lo, &hi), 0);
	atomic_store(&lows[(uintptr_t)arg], lo);
	atomic_fetch_add(&begun, 1);
	while (!atomic_load(&may_end))
		pause_ms(1);
	atomic_fetch_add(&ended, 1);
}

/* How many of the stacks there are no more. */
static int
unmapped(void)
{
	int n = 0;

	for (int i = 0; i < MANY; i++)
		n += wf_os_faults((const void *)atomic_load(&lows[i]));
	return n;
}

/* Threads that end look after those that ended before them. */
TEST(stacks_of_many_that_ended_are_given_back)
{
	if (wf_race_is_watched())
		SKIP("beside ThreadSanitizer the C library makes the stacks");
	for (int i = 0; i < MANY; i++)
		start(note_stack, (void *)(uintptr_t)i);
	await_at_least(&begun, MANY);
	EXPECT_EQ(unmapped(), 0);
	atomic_store(&may_end, true);
	await_at_least(&ended, MANY);
	for (int i = 1; unmapped() < MANY / 2; i++) {
		if (i == 5000)
			FAIL("%d of %d are unmapped", unmapped(), MANY);
		start(do_nothing, NULL);
		await_at_least(&ended, MANY + i);
	}
}
