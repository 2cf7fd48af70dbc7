/*
 * Whose turn it is on one P, after a yield and beside two that hand over to each other. What is
 * counted is turns: a machine that stands still costs a few, what is broken has none at all.
 */
#include "sched_util.h"

static atomic_long turns;

static void
take_turns(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&turns, 1);
		weft_yield();
	}
	atomic_fetch_add(&count, 1);
}

/* Catalogue 21. A yield that gives the turn back to whoever gave it up is a loop without end. */
TEST(a_yield_gives_the_turn_to_another)
{
	int in_vain = 0, n = 10000;

	weft_gomaxprocs(1);
	weft_go(take_turns, NULL);
	for (int i = 0; i < n; i++) {
		long before = atomic_load(&turns);

		weft_yield();
		in_vain += atomic_load(&turns) == before;
	}
	/* The global queue has its turn now and then; the other may have lost its P in its own. */
	if (in_vain > n / 5)
		FAIL("%d of %d yields came back to the one that yielded", in_vain, n);
	atomic_store(&stop, true);
	while (atomic_load(&count) == 0)
		weft_yield();
}

/* Catalogue 36. Two that make each other the next to run, for ever: the others get on. */
static weft_chan *there, *back;

static void
hand_over(void *arg)
{
	(void)arg;
	while (weft_chan_recv(there, NULL, WEFT_FOREVER) == 1)
		(void)weft_chan_send(back, NULL, WEFT_FOREVER);
	atomic_fetch_add(&count, 1);
}

static void
hand_back(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		(void)weft_chan_send(there, NULL, WEFT_FOREVER);
		(void)weft_chan_recv(back, NULL, WEFT_FOREVER);
	}
	weft_chan_close(there);
	atomic_fetch_add(&count, 1);
}

TEST(a_pair_that_hands_over_keeps_nobody_out)
{
	weft_gomaxprocs(1);
	there = weft_chan_new(0, 0);
	back = weft_chan_new(0, 0);
	weft_go(hand_over, NULL);
	weft_go(hand_back, NULL);
	weft_go(take_turns, NULL);
	/* It gets its turns although the pair never stops; and so do we. */
	while (atomic_load(&turns) < 50)
		weft_yield();
	atomic_store(&stop, true);
	while (atomic_load(&count) < 3)
		weft_yield();
	weft_chan_unref(there);
	weft_chan_unref(back);
}
