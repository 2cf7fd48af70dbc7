/*
 * The memory of goroutines: after a burst most of it goes back to the system, and a little stays at
 * hand, so that the next burst need not fault every page in again.
 */
#define _DEFAULT_SOURCE	/* mincore */
#include <weft.h>
#include "sched/sched.h"

#include "test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK ((size_t)256 << 10)
#define N_CHUNKS 24
#define N (N_CHUNKS * CHUNK / sizeof(struct g))

static struct g *gs[N];

static int
by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

/* Of the pages that the goroutines lay on, how many are in memory? */
static size_t
pages_in_memory(size_t *ret_all)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0, all = 0;
	uintptr_t last = 0;

	for (size_t i = 0; i < N; i++) {
		uintptr_t at = (uintptr_t)gs[i] & ~(page - 1);
		unsigned char is_there = 0;

		if (at == last)
			continue;
		last = at;
		EXPECT_EQ(mincore((void *)at, page, &is_there), 0);
		n += is_there & 1;
		all++;
	}
	*ret_all = all;
	return n;
}

/* It once counted chunks that it had emptied as full of pages, and gave back all there were. */
TEST(what_is_given_back_leaves_some_at_hand)
{
	for (int round = 0; round < 3; round++) {
		size_t all, left;

		(void)wf_enter();
		for (size_t i = 0; i < N; i++) {
			gs[i] = wf_g_alloc();
			EXPECT(gs[i] != NULL);
			gs[i]->fn = NULL;
		}
		for (size_t i = 0; i < N; i++)
			wf_g_free(gs[i]);
		wf_leave();
		qsort(gs, N, sizeof(gs[0]), by_address);
		/* The monitor does so too. */
		while (wf_g_scavenge())
			;
		left = pages_in_memory(&all);
		EXPECT(left >= all / 8);	/* 4 chunks of 24, and those with cached ones */
		EXPECT(left <= all / 2);
		EXPECT(!wf_g_scavenge());
	}
}
