/*
 * The run queue of one P: SCENARIOS 67 and 68, wrap-around, overflow, and many thieves at once.
 */
#include "sched/runq.h"

#include "test.h"

#include <pthread.h>
#include <string.h>

#define N RUNQ_CAP

static struct g gs[4 * N];
static struct runq q;

static void
reset(uint32_t start)
{
	memset(&q, 0, sizeof(q));
	wf_store_relaxed(&q.head, start);
	wf_store_relaxed(&q.tail, start);
}

/* SCENARIOS 67: put i, take i, in order, empty before and after; also where the counters wrap. */
TEST(first_in_first_out)
{
	static const uint32_t starts[] = { 0, 1, UINT32_MAX - 100, UINT32_MAX };

	for (size_t s = 0; s < wf_countof(starts); s++)
		for (int n = 0; n < (int)N; n++) {
			reset(starts[s]);
			EXPECT(runq_is_empty(&q));
			EXPECT(runq_take(&q) == NULL);
			for (int i = 0; i < n; i++)
				EXPECT(runq_put(&q, &gs[i]));
			EXPECT_EQ(runq_len_racy(&q), n);
			EXPECT_EQ(runq_is_empty(&q), n == 0);
			for (int i = 0; i < n; i++)
				EXPECT(runq_take(&q) == &gs[i]);
			EXPECT(runq_take(&q) == NULL);
		}
}

TEST(a_full_ring_refuses_and_keeps)
{
	reset(UINT32_MAX - 7);
	for (int i = 0; i < (int)N; i++)
		EXPECT(runq_put(&q, &gs[i]));
	EXPECT(!runq_put(&q, &gs[N]));
	EXPECT(runq_take(&q) == &gs[0]);
	EXPECT(runq_put(&q, &gs[N]));
	for (int i = 1; i <= (int)N; i++)
		EXPECT(runq_take(&q) == &gs[i]);
}

/*
 * SCENARIOS 68: one steal moves half, rounded up, the oldest, and not more than 128; each goroutine
 * appears once.
 */
TEST(a_grab_takes_the_older_half)
{
	struct g *out[RUNQ_BATCH];

	for (uint32_t n = 0; n <= N; n++) {
		uint32_t got;

		reset(UINT32_MAX - n / 2);
		for (uint32_t i = 0; i < n; i++)
			EXPECT(runq_put(&q, &gs[i]));
		got = runq_grab(&q, out);
		EXPECT_EQ(got, wf_min(n - n / 2, RUNQ_BATCH));
		for (uint32_t i = 0; i < got; i++)
			EXPECT(out[i] == &gs[i]);
		for (uint32_t i = got; i < n; i++)
			EXPECT(runq_take(&q) == &gs[i]);
		EXPECT(runq_is_empty(&q));
	}
}

/* Of a ring with more than a thief takes; also where the counters wrap. */
TEST(the_newest_is_taken_while_there_are_many)
{
	for (int alone = 0; alone < 2; alone++) {
		uint32_t n = N;

		reset(UINT32_MAX - N / 2);
		wf_store_relaxed(&q.is_alone, (uint8_t)alone);
		for (uint32_t i = 0; i < n; i++)
			EXPECT(runq_put(&q, &gs[i]));
		while (n > RUNQ_BATCH)
			EXPECT(runq_take_newest(&q) == &gs[--n]);
		EXPECT(runq_take_newest(&q) == NULL);
		EXPECT_EQ(runq_len_racy(&q), n);
		EXPECT(runq_put(&q, &gs[N]));
		EXPECT(runq_take(&q) == &gs[0]);
		EXPECT(runq_take_newest(&q) == NULL);
		for (uint32_t i = 1; i < n; i++)
			EXPECT(runq_take(&q) == &gs[i]);
		EXPECT(runq_take(&q) == &gs[N]);
		EXPECT(runq_is_empty(&q));
	}
}

TEST(runnext_is_part_of_the_queue)
{
	reset(0);
	EXPECT(runq_put_next(&q, &gs[0]) == NULL);
	EXPECT(!runq_is_empty(&q));
	EXPECT(runq_put_next(&q, &gs[1]) == &gs[0]);
	EXPECT(runq_take_next(&q) == &gs[1]);
	EXPECT(runq_take_next(&q) == NULL);
	EXPECT(runq_is_empty(&q));
}

/*
 * Conservation: one owner puts and takes at both ends, three thieves grab; each goroutine comes out
 * exactly once per time it went in, with what was written to it before. SCENARIOS 144.
 */
#define ROUNDS 200000

static _Atomic long taken[4 * N];
static _Atomic uint32_t in_flight[4 * N];	/* 1 while queued: a second put must wait */
static _Atomic int owner_done;

static void
came_out(struct g *g)
{
	long i = g - gs;

	/* Plain data written by the owner before the put must be there (edge Q1). */
	EXPECT_EQ((long)(intptr_t)g->arg, i + 1);
	g->arg = NULL;
	(void)wf_add_relaxed(&taken[i], 1);
	wf_store_release(&in_flight[i], 0);
}

static void *
thief(void *arg)
{
	struct g *out[RUNQ_BATCH];

	for (;;) {
		bool last = wf_load_acquire(&owner_done);
		uint32_t n;

		n = runq_grab(&q, out);
		for (uint32_t i = 0; i < n; i++)
			came_out(out[i]);
		if (n == 0 && last)
			return arg;
	}
}

TEST(thieves_lose_and_double_nothing)
{
	long rounds = ROUNDS / test_scale(), puts[4 * N] = { 0 };
	pthread_t t[3];
	struct g *g;

	reset(UINT32_MAX - 1000);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, thief, NULL);
	for (long i = 0; i < rounds; i++) {
		long k = i % (4 * N);

		if (wf_load_acquire(&in_flight[k]))
			continue;
		wf_store_relaxed(&in_flight[k], 1);
		gs[k].arg = (void *)(intptr_t)(k + 1);
		puts[k]++;
		while (!runq_put(&q, &gs[k]))
			if ((g = runq_take(&q)) != NULL)
				came_out(g);
		if (i % 3 == 0 && (g = runq_take(&q)) != NULL)
			came_out(g);
		if (i % 5 == 0 && (g = runq_take_newest(&q)) != NULL)
			came_out(g);
	}
	wf_store_release(&owner_done, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4 * (int)N; i++)
		EXPECT_EQ(wf_load_relaxed(&taken[i]), puts[i]);
}
