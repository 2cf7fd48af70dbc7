/*
 * Each thing that weft asks of the system is refused once: run after run, the first, the second,
 * the third call for memory, a descriptor or a thread fails, until there are no more. What must
 * come of it: the call that needed it says so, another try succeeds, and nothing else is different.
 * If one of these fails, a moment's shortage ends a program or loses something in it.
 */
#include <weft.h>
#include <weft/sim.h>

#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Seeds: each is another order of calls, and so another victim for the same number. */
enum { SEEDS = 3, CALLS_MAX = 5000 };

static void
refuse_each(void (*fn)(void *))
{
	weft_sim_options o = {.size = sizeof(o), .no_faults = true};
	weft_sim_result r;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		for (o.fail_at = 1;; o.fail_at++) {
			if (weft_sim_run_with(&o, seed, fn, NULL, &r) != 0)
				FAIL("seed %" PRIu64 ", call %" PRIu64, seed, o.fail_at);
			if (r.calls < o.fail_at)
				break;
			EXPECT(o.fail_at < CALLS_MAX);
		}
		EXPECT(o.fail_at > 1);	/* there was something to refuse */
	}
}

/* One refusal in a run. While a goroutine waits for a stack no other is begun: so, some tries. */
static bool
is_shortage(int64_t r)
{
	return r == -ENOMEM || r == -EMFILE || r == -EAGAIN;
}

#define INSIST(r, call) \
	do { \
		(r) = (call); \
		for (int try_ = 0; try_ < 10 && is_shortage(r); try_++) { \
			weft_sleep(10000000); \
			(r) = (call); \
		} \
	} while (0)

static void
insist_go(void (*fn)(void *), void *arg)
{
	int r;

	INSIST(r, weft_go(fn, arg));
	EXPECT_EQ(r, 0);
}

static weft_chan *
insist_chan(size_t cap)
{
	weft_chan *c = weft_chan_new(sizeof(int), cap);

	if (c == NULL)
		c = weft_chan_new(sizeof(int), cap);
	EXPECT(c != NULL);
	return c;
}

/* ---- Goroutines and channels ---- */

static weft_waitgroup all;

static void
deep(void *arg)
{
	char frame[20000];
	int v = 1, r;

	memset(frame, 1, sizeof(frame));	/* touches its stack */
	__asm__ volatile("" ::"r"(frame) : "memory");
	INSIST(r, weft_chan_send(arg, &v, WEFT_FOREVER));
	EXPECT_EQ(r, 0);
	weft_waitgroup_done(&all);
}

static void
crowd(void *arg)
{
	weft_chan *c = insist_chan(3);
	int v, r;

	(void)arg;
	weft_waitgroup_add(&all, 100);
	for (int i = 0; i < 100; i++)
		insist_go(deep, c);
	for (int i = 0; i < 100; i++) {
		INSIST(r, weft_chan_recv(c, &v, WEFT_FOREVER));
		EXPECT_EQ(r, 1);
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	weft_chan_unref(c);
}

TEST(goroutines_outlive_any_refusal)
{
	refuse_each(crowd);
}

/* ---- Select, timers, scopes ---- */

static int
sleep_a_little(void *arg)
{
	(void)arg;
	return weft_sleep(1000) == 0 ? 0 : -ECANCELED;
}

static void
objects(void *arg)
{
	weft_chan *c[80];
	weft_case cases[80];
	weft_timer *t;
	weft_scope *s;
	int r;

	(void)arg;
	for (int i = 0; i < 80; i++) {	/* more than a select has room for on its stack */
		c[i] = insist_chan(0);
		cases[i] = WEFT_RECV(c[i], NULL);
	}
	INSIST(r, weft_select(cases, 80, weft_in(1000)));
	EXPECT_EQ(r, -ETIMEDOUT);
	if ((t = weft_timer_new(weft_in(1000), 0, NULL, NULL)) == NULL)
		t = weft_timer_new(weft_in(1000), 0, NULL, NULL);
	EXPECT(t != NULL);
	EXPECT_EQ(weft_chan_recv(weft_timer_chan(t), NULL, WEFT_FOREVER), 1);
	weft_timer_free(t);
	if ((s = weft_scope_new(NULL, weft_in(1000000000))) == NULL)
		s = weft_scope_new(NULL, weft_in(1000000000));
	EXPECT(s != NULL);
	for (int i = 0; i < 10; i++) {
		INSIST(r, weft_scope_go(s, sleep_a_little, NULL));
		EXPECT_EQ(r, 0);
	}
	INSIST(r, weft_scope_set(s, &all, &all));
	EXPECT_EQ(r, 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
	for (int i = 0; i < 80; i++)
		weft_chan_unref(c[i]);
}

TEST(objects_outlive_any_refusal)
{
	refuse_each(objects);
}

/* ---- Connections ---- */

static const char address[] = "127.0.0.1:80";

static void
greet(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;
	ssize_t r;

	for (int i = 0; i < 5; i++) {
		INSIST(fd, weft_accept(listener, NULL, NULL, WEFT_FOREVER));
		EXPECT(fd >= 0);
		INSIST(r, weft_write(fd, "hello", 5, WEFT_FOREVER));
		EXPECT_EQ(r, 5);
		EXPECT_EQ(weft_close(fd), 0);
	}
	weft_waitgroup_done(&all);
}

static void
connections(void *arg)
{
	int listener, fd;
	char buf[8];
	ssize_t r;

	(void)arg;
	INSIST(listener, weft_listen("tcp", address, 0));
	EXPECT(listener >= 0);
	weft_waitgroup_add(&all, 1);
	insist_go(greet, (void *)(intptr_t)listener);
	for (int i = 0; i < 5; i++) {
		INSIST(fd, weft_dial("tcp", address, WEFT_FOREVER));
		EXPECT(fd >= 0);
		INSIST(r, weft_read(fd, buf, 5, WEFT_FOREVER));
		EXPECT_EQ(r, 5);
		EXPECT_EQ(weft_close(fd), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_close(listener), 0);
}

TEST(connections_outlive_any_refusal)
{
	refuse_each(connections);
}

/* ---- Blocking calls: more threads ---- */

static void
block(void *arg)
{
	(void)arg;
	weft_sim_block(100000000);
	weft_waitgroup_done(&all);
}

static void
blocking(void *arg)
{
	(void)arg;
	weft_waitgroup_add(&all, 10);
	for (int i = 0; i < 10; i++)
		insist_go(block, NULL);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
}

TEST(threads_outlive_any_refusal)
{
	refuse_each(blocking);
}

/* ---- A P goes, with its timers ---- */

static void
doze(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_sleep(50000000), 0);
	weft_waitgroup_done(&all);
}

static void
resize(void *arg)
{
	(void)arg;
	(void)weft_gomaxprocs(4);
	weft_waitgroup_add(&all, 40);
	for (int i = 0; i < 40; i++) {
		insist_go(doze, NULL);
		weft_sim_compute(100000);	/* others take some of them */
	}
	(void)weft_gomaxprocs(1);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
}

TEST(a_retiring_p_outlives_any_refusal)
{
	refuse_each(resize);
}
