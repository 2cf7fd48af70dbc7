/*
 * Small stacks (WEFT_STACK_SMALL): what a goroutine can do on one, what it costs, and what happens
 * when it is too small.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

static const weft_go_options small = {.size = sizeof(small), .stack_size = WEFT_STACK_SMALL};

/* As if linked with -z now, without which no stack is that small. */
static struct child_result
run(void (*fn)(void *), void *arg)
{
	static const char *const env[] = {"LD_BIND_NOW=1", NULL};
	struct child_options o = {.env = env};

	return child_run_with(&o, fn, arg);
}

/* Each is woken by the one before and wakes the next, in all ways that there are. */
struct link {
	weft_chan *in, *out;
	weft_mutex *mutex;
	weft_waitgroup *ended;
	int socket[2];
	int *n;
};

static void
pass_on(void *arg)
{
	struct link *l = arg;
	int token = -1, other;
	weft_case cases[2] = {WEFT_RECV(l->in, &token), WEFT_RECV(NULL, &other)};

	if (weft_select(cases, 2, WEFT_FOREVER) != 0)
		weft_panic("select");
	weft_sleep(token % 7 * MS / 10);
	if (weft_write(l->socket[0], &token, sizeof(token), weft_in(60000 * MS)) != sizeof(token) ||
	    weft_read(l->socket[1], &other, sizeof(other), WEFT_FOREVER) != sizeof(other) ||
	    other != token)
		weft_panic("socket");
	weft_mutex_lock(l->mutex);
	weft_yield();
	++*l->n;
	weft_mutex_unlock(l->mutex);
	token++;
	weft_chan_send(l->out, &token, WEFT_FOREVER);
	weft_waitgroup_done(l->ended);
}

static void
pass_through_all(void *arg)
{
	enum { N = 100 };
	static struct link links[N];
	static weft_mutex mutex;
	static weft_waitgroup ended;
	int n = 0, token = 0;
	weft_chan *first = weft_chan_new(sizeof(int), 0), *last = first;

	(void)arg;
	weft_waitgroup_add(&ended, N);
	for (int i = 0; i < N; i++) {
		struct link *l = &links[i];

		*l = (struct link){.in = last, .mutex = &mutex, .ended = &ended, .n = &n};
		l->out = last = weft_chan_new(sizeof(int), 0);
		EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, l->socket), 0);
		EXPECT_EQ(weft_go_with(&small, pass_on, l), 0);
	}
	EXPECT_EQ(weft_chan_send(first, &token, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_chan_recv(last, &token, WEFT_FOREVER), 1);
	EXPECT_EQ(weft_waitgroup_wait(&ended, WEFT_FOREVER), 0);
	EXPECT_EQ(token, N);
	EXPECT_EQ(n, N);
	fprintf(stderr, "all passed\n");
}

TEST(channels_locks_sleeps_and_sockets_work)
{
	struct child_result r;

	if (getenv("WEFT_KILL") != NULL)
		SKIP("what counts (test/lib/counted.c) is not optimised, and needs more");
	r = run(pass_through_all, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, "all passed");
	child_result_free(&r);
}

static void
read_for_ever(void *fd)
{
	char c;

	(void)weft_read(*(int *)fd, &c, 1, WEFT_FOREVER);
}

static void
yield_then_end(void *ended)
{
	weft_yield();
	weft_yield();
	weft_waitgroup_done(ended);
}

/* Each of them that ends or yields may be the one whose turn it is to look around. */
static void
end_beside_the_poller(void *arg)
{
	static weft_waitgroup ended;
	int p[2];

	(void)arg;
	weft_gomaxprocs(1);
	EXPECT_EQ(pipe(p), 0);
	weft_go(read_for_ever, &p[0]);
	for (int round = 0; round < 100; round++) {
		weft_waitgroup_add(&ended, 100);
		for (int i = 0; i < 100; i++)
			EXPECT_EQ(weft_go_with(&small, yield_then_end, &ended), 0);
		EXPECT_EQ(weft_waitgroup_wait(&ended, WEFT_FOREVER), 0);
	}
	fprintf(stderr, "all ended\n");
}

/* To ask the poller takes more than a small stack has: its own thread's stack is for that. */
TEST(who_ends_or_yields_does_not_ask_the_poller)
{
	struct child_result r = run(end_beside_the_poller, NULL);

	if (r.status != 0)
		FAIL("status %d: %s", r.status, r.err);
	EXPECT_CONTAINS(r.err, "all ended");
	child_result_free(&r);
}

static weft_waitgroup parked;

static void
park(void *gate)
{
	weft_waitgroup_done(&parked);
	weft_chan_recv(gate, NULL, WEFT_FOREVER);
}

static void
start_parked(int n)
{
	weft_chan *gate = weft_chan_new(0, 0);

	weft_waitgroup_add(&parked, n);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_go_with(&small, park, gate), 0);
	EXPECT_EQ(weft_waitgroup_wait(&parked, WEFT_FOREVER), 0);
}

static long
rss_kib(void)
{
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");
	long kib = 0;

	EXPECT(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static void
park_many(void *arg)
{
	/* ThreadSanitizer has room for 8,128 threads and goroutines. */
	int n = test_scale() > 1 ? 2000 : 20000;
	long before;

	(void)arg;
	start_parked(100);
	before = rss_kib();
	start_parked(n);
	fprintf(stderr, "%s\n", (rss_kib() - before) * 1024 < n * 3000l ? "small" : "large");
}

/* Where it may not be as small as it says, it works all the same. */
TEST(a_parked_one_takes_less_than_a_page)
{
	struct child_result r = run(park_many, NULL), late = child_run(park_many, NULL);

	EXPECT_CONTAINS(r.err, test_scale() > 1 ? "large" : "small");
	if (late.status != 0)
		FAIL("status %d: %s", late.status, late.err);
	child_result_free(&r);
	child_result_free(&late);
}

/* A lint is written on the stack that it is about. */
TEST(with_lints_they_are_not_small)
{
	static const char *const env[] = {"LD_BIND_NOW=1", "WEFT_DEBUG=lint=1", NULL};
	struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, park_many, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, "large");
	child_result_free(&r);
}

static __attribute__((noinline)) int
use_3k(int depth)
{
	char frame[3000];

	memset(frame, depth, sizeof(frame));
	/* All of it is looked at, as far as a compiler can know. */
	__asm__ volatile("" : : "r"(frame) : "memory");
	return frame[7];
}

static void
dig_then_yield(void *arg)
{
	(void)arg;
	(void)use_3k(1);
	weft_yield();
}

static void
dig_then_end(void *arg)
{
	(void)arg;
	(void)use_3k(1);
}

static void
overflow(void *fn)
{
	weft_gomaxprocs(1);
	start_parked(100);
	weft_go_with(&small, *(void (**)(void *))fn, NULL);
	weft_sleep(WEFT_FOREVER);
}

static void
go_on(void *arg)
{
	(void)arg;
	(void)!write(STDERR_FILENO, "went on", 7);
}

/* The one that comes next gets the same stack, without a switch. */
static void
overflow_and_hand_on(void *arg)
{
	(void)arg;
	weft_gomaxprocs(1);
	start_parked(100);
	for (int i = 0; i < 10; i++)
		weft_go_with(&small, go_on, NULL);
	weft_go_with(&small, dig_then_end, NULL);	/* runs first */
	weft_sleep(WEFT_FOREVER);
}

/* Else one that did nothing wrong would be blamed for it. */
TEST(a_stack_that_was_overflowed_is_not_handed_on)
{
	struct child_result r;

	if (test_scale() > 1)
		SKIP("sanitizers have no small stacks");
	r = run(overflow_and_hand_on, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "stack overflow: ");
	if (strstr(r.err, "went on") != NULL)
		FAIL("%s", r.err);
	child_result_free(&r);
}

/* There is no guard, but nobody goes on with a neighbour's stack destroyed. */
TEST(an_overflow_is_seen_at_the_next_yield_or_at_the_end)
{
	static void (*fns[])(void *) = {dig_then_yield, dig_then_end};

	if (test_scale() > 1)
		SKIP("sanitizers have no small stacks");
	for (size_t i = 0; i < 2; i++) {
		struct child_result r = run(overflow, &fns[i]);

		EXPECT_EQ(r.status, 2);
		EXPECT_CONTAINS(r.err, "stack overflow: ");
		EXPECT_CONTAINS(r.err, "ran over its stack of 2048 bytes");
		child_result_free(&r);
	}
}
