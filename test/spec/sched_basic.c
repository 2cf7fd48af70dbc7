/*
 * Goroutines run, all of them, side by side, and fairly: the scheduler seen from outside. The
 * numbers are those of the project's table of Go's behaviours (SCENARIOS).
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_long count;

static void
count_up(void *arg)
{
	(void)arg;
	atomic_fetch_add(&count, 1);
}

static void
yield_until(atomic_long *what, long n)
{
	int64_t deadline = weft_in(20000000000 * (int64_t)test_scale());

	while (atomic_load(what) < n) {
		if (weft_now() > deadline)
			FAIL("only %ld of %ld", atomic_load(what), n);
		weft_yield();
	}
}

/* Ids tell goroutines apart in every report: main must be 1, and none may come twice. */
TEST(ids_are_unique_and_main_is_1)
{
	EXPECT_EQ(weft_goid(), 1);
	EXPECT_EQ(weft_numgoroutine(), 1);
}

static uint64_t ids[2000];

static void
note_id(void *arg)
{
	static atomic_long next;

	(void)arg;
	ids[atomic_fetch_add(&next, 1)] = weft_goid();
	atomic_fetch_add(&count, 1);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

TEST(ids_are_never_reused)
{
	for (int i = 0; i < 2000; i++) {
		EXPECT_EQ(weft_go(note_id, NULL), 0);
		if (i % 50 == 0)
			weft_yield();
	}
	yield_until(&count, 2000);
	qsort(ids, 2000, sizeof(ids[0]), by_value);
	EXPECT(ids[0] > 1);
	for (int i = 1; i < 2000; i++)
		EXPECT(ids[i] != ids[i - 1]);
	while (weft_numgoroutine() > 1)
		weft_yield();
}

/* SCENARIOS 65: heavy ping-pong pairs must not starve light ones, on one P. */
struct pair {
	weft_chan *a, *b;
	long work;
	atomic_long rounds;
};

static atomic_bool stop;

static void
burn(long n)
{
	for (volatile long i = 0; i < n; i++)
		;
}

static void
ping(void *p)
{
	struct pair *x = p;
	char c = 0;

	while (!atomic_load(&stop)) {
		burn(x->work);
		if (weft_chan_send(x->a, &c, WEFT_FOREVER) != 0 ||
		    weft_chan_recv(x->b, &c, WEFT_FOREVER) != 1)
			return;
		atomic_fetch_add(&x->rounds, x->work);
	}
	weft_chan_close(x->a);
}

static void
pong(void *p)
{
	struct pair *x = p;
	char c;

	while (weft_chan_recv(x->a, &c, WEFT_FOREVER) == 1) {
		burn(x->work);
		weft_chan_send(x->b, &c, WEFT_FOREVER);
	}
	atomic_fetch_add(&count, 1);
}

TEST(heavy_pairs_leave_room_for_light_ones)
{
	static struct pair pairs[4];

	weft_gomaxprocs(1);
	for (int i = 0; i < 4; i++) {
		pairs[i].a = weft_chan_new(1, 0);
		pairs[i].b = weft_chan_new(1, 0);
		pairs[i].work = i < 2 ? 1000000 : 1000;
		weft_go(ping, &pairs[i]);
		weft_go(pong, &pairs[i]);
	}
	/* Longer under a sanitizer, where a turn of a heavy pair is a slice. */
	weft_sleep((int64_t)500000000 * test_scale());
	atomic_store(&stop, true);
	yield_until(&count, 4);
	for (int i = 0; i < 2; i++)
		for (int k = 2; k < 4; k++) {
			long heavy = atomic_load(&pairs[i].rounds);
			long light = atomic_load(&pairs[k].rounds);

			if (light * 20 < heavy)
				FAIL("a light pair did %ld, a heavy one %ld", light, heavy);
		}
	for (int i = 0; i < 4; i++) {
		weft_chan_unref(pairs[i].a);
		weft_chan_unref(pairs[i].b);
	}
}

/* Go issue 52934 (W12): a chain of goroutines that start each other must not starve others. */
static void
chain(void *arg)
{
	(void)arg;
	if (!atomic_load(&stop))
		weft_go(chain, NULL);
	else
		atomic_fetch_add(&count, 1);
}

TEST(a_chain_of_go_does_not_starve_others)
{
	weft_gomaxprocs(1);
	weft_go(chain, NULL);
	for (int i = 0; i < 100; i++)
		weft_yield();
	atomic_store(&stop, true);
	yield_until(&count, 1);
}

/* SCENARIOS 75: many at once, all parked; all come back, and the count returns to one. */
static weft_chan *gate;

static atomic_long arrived;

static void
wait_at_gate(void *arg)
{
	(void)arg;
	atomic_fetch_add(&arrived, 1);
	weft_chan_recv(gate, NULL, WEFT_FOREVER);
	atomic_fetch_add(&count, 1);
}

TEST(a_hundred_thousand_park_and_finish)
{
	int n = 100000 / (test_scale() > 1 ? 20 : 1);

	gate = weft_chan_new(0, 0);
	for (int round = 0; round < 2; round++) {
		atomic_store(&count, 0);
		for (int i = 0; i < n; i++)
			EXPECT_EQ(weft_go(wait_at_gate, NULL), 0);
		while (weft_numgoroutine() < n + 1)
			weft_yield();
		for (int i = 0; i < n; i++)
			EXPECT_EQ(weft_chan_send(gate, NULL, WEFT_FOREVER), 0);
		yield_until(&count, n);
	}
	while (weft_numgoroutine() > 1)
		weft_yield();
	weft_chan_unref(gate);
}

static long
vm(const char *what)
{
	char line[256];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, what, strlen(what)) == 0)
			kb = atol(line + strlen(what) + 1);
	fclose(f);
	return kb;
}

/*
 * SCENARIOS 75: memory of finished goroutines goes back to the system: a burst must not be paid for
 * ever (W17).
 */
TEST(memory_of_a_burst_is_given_back)
{
	int n = 20000;
	long before, peak, after = 0;

	if (test_scale() > 1)
		SKIP("sanitizers keep memory of their own");
	gate = weft_chan_new(0, 0);
	before = vm("VmRSS:");
	for (int i = 0; i < n; i++)
		weft_go(wait_at_gate, NULL);
	yield_until(&arrived, n);
	peak = vm("VmRSS:");
	EXPECT(peak - before > n * 3);
	for (int i = 0; i < n; i++)
		weft_chan_send(gate, NULL, WEFT_FOREVER);
	for (int i = 0; i < 100; i++) {
		weft_sleep(50000000);
		after = vm("VmRSS:");
		if (after - before < (peak - before) / 8)
			break;
	}
	if (after - before >= (peak - before) / 8)
		FAIL("%ld KB before, %ld at the peak, still %ld after 5 s", before, peak, after);
	weft_chan_unref(gate);
}

/*
 * A name and a copied argument belong to the goroutine: what the caller does to its own is no
 * matter.
 */
struct message {
	char text[32];
};

static void
read_copy(void *arg)
{
	struct message *m = arg;

	EXPECT_STR(m->text, "first");
	m->text[0] = 'F';
	atomic_fetch_add(&count, 1);
}

TEST(go_with_copies_its_argument)
{
	struct message m = { "first" };
	char name[] = "a name that is longer than thirty-one bytes";
	weft_go_options o = { .size = sizeof(o), .name = name, .copy = &m, .copy_size = sizeof(m),
	    .stack_size = 100000 };

	EXPECT_EQ(weft_go_with(&o, read_copy, NULL), 0);
	strcpy(m.text, "second");
	name[0] = 'X';
	yield_until(&count, 1);
	o.stack_size = (size_t)2 << 30;
	EXPECT_EQ(weft_go_with(&o, read_copy, NULL), -EINVAL);
	o = (weft_go_options){ 0 };
	EXPECT_EQ(weft_go_with(&o, read_copy, NULL), -EINVAL);
	EXPECT_EQ(weft_go_with(NULL, count_up, NULL), 0);
	yield_until(&count, 2);
}

/* A stack of the size that was asked for is really there, and so is the default. */
static int
eat(volatile char *above, size_t n)
{
	volatile char page[4096];

	page[0] = above != NULL ? above[0] : 1;
	page[4095] = 2;
	return n <= sizeof(page) ? page[0] + page[4095] : eat(page, n - sizeof(page)) + page[1];
}

static void
use_stack(void *arg)
{
	(void)eat(NULL, *(size_t *)arg);
	atomic_fetch_add(&count, 1);
}

TEST(stacks_hold_what_they_promise)
{
	size_t small = 100 << 10, big = (size_t)6 << 20;
	weft_go_options o = { .size = sizeof(o), .stack_size = (size_t)16 << 20 };

	if (test_scale() > 1)
		small /= 4, big /= 4;
	weft_go(use_stack, &small);
	weft_go_with(&o, use_stack, &big);
	yield_until(&count, 2);
}

/* weft_goexit ends the goroutine from any depth, and runs what it deferred, last first. */
static int order[4], n_order;

static void
deferred(void *arg)
{
	order[n_order++] = (int)(intptr_t)arg;
}

static int
deep(int n)
{
	if (n == 0)
		weft_goexit();
	return n > 0 ? deep(n - 1) + 1 : 0;
}

static void
exits(void *arg)
{
	(void)arg;
	weft_defer(count_up, NULL);
	weft_defer(deferred, (void *)1);
	weft_defer(deferred, (void *)2);
	(void)deep(5);
	FAIL("went on after weft_goexit");
}

TEST(goexit_runs_deferred_calls)
{
	for (int i = 0; i < 100; i++) {
		n_order = 0;
		atomic_store(&count, 0);
		weft_go(exits, NULL);
		yield_until(&count, 1);
		while (weft_numgoroutine() > 1)
			weft_yield();
		EXPECT_EQ(n_order, 2);
		EXPECT_EQ(order[0], 2);
		EXPECT_EQ(order[1], 1);
	}
}

/* A variable that means nothing is named, with what would do, and the default holds. */
static void
say_setting(void *arg)
{
	(void)arg;
	printf("procs %d", weft_gomaxprocs(0));
	fflush(stdout);
}

TEST(nonsense_in_the_environment_is_named)
{
	static const char *const bad[] = {
		"WEFT_MAXPROCS=abc", "WEFT_MAXPROCS=0", "WEFT_MAXPROCS=-3", "WEFT_MAXPROCS=2x",
		"WEFT_STACK=lots", "WEFT_STACK=64KB", "WEFT_STACK=-1", "WEFT_STACK=2000M",
		"WEFT_STACK=99999999999999999999", "WEFT_STACK=0", "WEFT_STACK=18446744073709M",
	};
	static const char *const good[] = {
		"WEFT_STACK=65536", "WEFT_STACK=64K", "WEFT_MAXPROCS=3",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *env[] = { bad[i], "GOMAXPROCS=2", NULL };
		struct child_options o = { .env = env };
		struct child_result r = child_run_with(&o, say_setting, NULL);

		EXPECT_STR(r.out, "procs 2");
		EXPECT_CONTAINS(r.err, "can't make sense of");
		EXPECT_CONTAINS(r.err, strchr(bad[i], '=') + 1);
		child_result_free(&r);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *env[] = { good[i], NULL };
		struct child_options o = { .env = env };
		struct child_result r = child_run_with(&o, say_setting, NULL);

		EXPECT_STR(r.err, "");
		child_result_free(&r);
	}
}
