/*
 * The global queue beside a ring that is never empty (src/sched/README.md, "Finding work"). What is
 * measured is turns, never time: how often others ran before those on the global queue did. A
 * machine that stands still may take a few turns more, so that some tests take one good round of
 * many; what is broken has none.
 */
#include <weft.h>
#include "sched/sched.h"

#include "test.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S (1000 * MS)

static atomic_bool stop;
static atomic_long ran, turns, working;
static weft_chan *gate;

static void
yield_for_ever(void *compute)
{
	atomic_fetch_add(&working, 1);
	while (!atomic_load(&stop)) {
		int64_t until = compute != NULL ? weft_in(MS) : 0;

		while (compute != NULL && weft_now() < until)
			continue;
		atomic_fetch_add(&turns, 1);
		weft_yield();
	}
	atomic_fetch_sub(&working, 1);
}

static void
begin(int n, void *compute)
{
	weft_gomaxprocs(1);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_go(yield_for_ever, compute), 0);
	while (atomic_load(&working) < n)
		weft_yield();
}

static void
end(void)
{
	atomic_store(&stop, true);
	while (atomic_load(&working) > 0)
		weft_yield();
}

static void
wait_and_run(void *arg)
{
	(void)arg;
	atomic_fetch_add(&working, 1);
	(void)weft_chan_recv(gate, NULL, WEFT_FOREVER);
	atomic_fetch_add(&ran, 1);
}

/*
 * A thousand are made ready at once; most of them are on the global queue then. It gets as many
 * turns as the ring: one goroutine of it in each 61 would take 61,000.
 */
TEST(a_long_global_queue_gets_its_share)
{
	long n = 1000, before;

	begin(50, NULL);
	gate = weft_chan_new(0, 0);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_go(wait_and_run, NULL), 0);
	while (atomic_load(&working) < 50 + n)
		weft_yield();
	before = atomic_load(&turns);
	weft_chan_close(gate);
	while (atomic_load(&ran) < n)
		weft_yield();
	if (atomic_load(&turns) - before > 15 * n)
		FAIL("%ld turns for %ld", atomic_load(&turns) - before, n);
	atomic_fetch_sub(&working, n);
	end();
	weft_chan_unref(gate);
}

enum { PAIRS = 300, CROWD = 1000 };

static int pairs[PAIRS][2];

/* Writes and reads in turns with its partner: each read waits until the kernel says that it can. */
static void
pass_on(void *fd)
{
	char c = 0;

	while (weft_write(*(int *)fd, &c, 1, WEFT_FOREVER) == 1 &&
	    weft_read(*(int *)fd, &c, 1, WEFT_FOREVER) == 1)
		atomic_fetch_add(&turns, 1);
}

/* Makes a thousand goroutines ready at once. Returns how many run until they all did. */
static uint32_t
release_crowd(struct p *p)
{
	uint32_t before;

	atomic_store(&ran, 0);
	atomic_store(&working, 0);
	gate = weft_chan_new(0, 0);
	for (int i = 0; i < CROWD; i++)
		EXPECT_EQ(weft_go(wait_and_run, NULL), 0);
	while (atomic_load(&working) < CROWD)
		weft_yield();
	before = wf_load_relaxed(&p->picks);
	weft_chan_close(gate);
	while (atomic_load(&ran) < CROWD)
		weft_yield();
	weft_chan_unref(gate);
	return wf_load_relaxed(&p->picks) - before;
}

/*
 * The kernel always has hundreds that are ready. A thousand that were ready before are not to
 * wait until it has none: what it brings goes behind them. When that went to the ring, one of
 * the thousand ran for each 61, and of 10,000 connections some had no answer for seconds.
 */
TEST(what_the_kernel_brings_goes_behind_the_global_queue)
{
	uint32_t least = UINT32_MAX;
	struct p *p;

	weft_gomaxprocs(1);
	p = wf_load_relaxed(&wf_sched.all_p[0]);
	for (int i = 0; i < PAIRS; i++) {
		EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		EXPECT_EQ(weft_go(pass_on, &pairs[i][0]), 0);
		EXPECT_EQ(weft_go(pass_on, &pairs[i][1]), 0);
	}
	while (atomic_load(&turns) < 10 * PAIRS)
		weft_yield();
	for (int i = 0; i < 3 && least > 2 * CROWD; i++)
		least = wf_min(least, release_crowd(p));
	if (least > 2 * CROWD)
		FAIL("%u ran before %d did", least, CROWD);
}

/*
 * Ten goroutines compute for a millisecond, yield, and so on for ever. One that comes back from a
 * blocking call is on the global queue; it is not to wait for 61 turns of theirs.
 */
TEST(the_global_queue_has_a_turn_in_time)
{
	int64_t limit = weft_in(60 * S);
	long least = 1000;

	begin(10, &stop);
	while (least > 30 && weft_now() < limit) {
		struct m *m = wf_self();
		struct p *p = wf_load_relaxed(&wf_sched.all_p[0]);
		long before;

		while (!wf_load_relaxed(&m->is_detached))
			usleep(1000);
		before = atomic_load(&turns);
		/* If it has just had its turn in any case. */
		if (wf_load_relaxed(&p->schedtick) % GLOBAL_TICK < GLOBAL_TICK / 4) {
			(void)weft_goid();	/* waits for a P */
			least = wf_min(least, atomic_load(&turns) - before);
		} else {
			weft_yield();
		}
	}
	end();
	EXPECT(least <= 30);
}
