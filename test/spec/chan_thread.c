/*
 * Channels between goroutines and threads that weft did not start: an application's own threads
 * feed a program made of goroutines, and read from it, with the same calls.
 */
#include "chan_util.h"
#include <pthread.h>

struct shared {
	weft_chan *a, *b, *done;
	int n;
	_Atomic long long sum;
	_Atomic int count;
};

static void
start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	EXPECT_EQ(pthread_create(t, NULL, fn, arg), 0);
}

/* They have returned from their last call, or soon will. */
static void
join_all(pthread_t *t, int n)
{
	for (int i = 0; i < n; i++)
		EXPECT_EQ(pthread_join(t[i], NULL), 0);
}

static void *
thread_producer(void *arg)
{
	struct shared *s = arg;

	for (int i = 1; i <= s->n; i++)
		send_int(s->a, i);
	signal_one(s->done);
	return NULL;
}

static void *
thread_consumer(void *arg)
{
	struct shared *s = arg;
	int v;

	while (weft_chan_recv(s->a, &v, WEFT_FOREVER) == 1) {
		atomic_fetch_add(&s->sum, v);
		atomic_fetch_add(&s->count, 1);
	}
	return NULL;
}

static void
go_producer(void *arg)
{
	thread_producer(arg);
}

static void
go_consumer(void *arg)
{
	thread_consumer(arg);
	signal_one(((struct shared *)arg)->done);
}

static void
expect_all(struct shared *s, int producers)
{
	EXPECT_EQ(atomic_load(&s->count), producers * s->n);
	EXPECT_EQ(atomic_load(&s->sum), (long long)producers * s->n * (s->n + 1) / 2);
}

/* A wake-up between a goroutine and a thread goes another way than between two goroutines. */
static void
threads_feed_goroutines(void)
{
	for (size_t cap = 0; cap < 20; cap += 16) {
		struct shared s = {.a = chan_int(cap), .done = chan_signal(8), .n = scaled(2000)};
		pthread_t t[3];

		for (int i = 0; i < 3; i++) {
			start(&t[i], thread_producer, &s);
			go(go_consumer, &s);
		}
		await(s.done, 3);
		weft_chan_close(s.a);
		await(s.done, 3);
		join_all(t, 3);
		expect_all(&s, 3);
		weft_chan_unref(s.a);
		weft_chan_unref(s.done);
	}
}

TEST(threads_send_to_goroutines)
{
	on_1_2_4_procs(threads_feed_goroutines);
}

static void
goroutines_feed_threads(void)
{
	for (size_t cap = 0; cap < 20; cap += 16) {
		struct shared s = {.a = chan_int(cap), .done = chan_signal(8), .n = scaled(2000)};
		pthread_t t[3];

		for (int i = 0; i < 3; i++) {
			start(&t[i], thread_consumer, &s);
			go(go_producer, &s);
		}
		await(s.done, 3);
		weft_chan_close(s.a);
		join_all(t, 3);
		expect_all(&s, 3);
		weft_chan_unref(s.a);
		weft_chan_unref(s.done);
	}
}

TEST(goroutines_send_to_threads)
{
	on_1_2_4_procs(goroutines_feed_threads);
}

static void *
thread_pong(void *arg)
{
	struct shared *s = arg;
	int v;

	while (weft_chan_recv(s->a, &v, WEFT_FOREVER) == 1)
		send_int(s->b, v + 1);
	return NULL;
}

static void *
thread_ping(void *arg)
{
	struct shared *s = arg;
	int v = 0;

	for (int i = 0; i < s->n; i++) {
		send_int(s->a, v);
		v = recv_int(s->b);
	}
	EXPECT_EQ(v, s->n);
	weft_chan_close(s->a);
	signal_one(s->done);
	return NULL;
}

/* Two threads and no goroutine of the program's takes part. */
static void
threads_alone(void)
{
	struct shared s = {
	    .a = chan_int(0), .b = chan_int(0), .done = chan_signal(0), .n = scaled(500)};
	pthread_t t[2];

	start(&t[0], thread_pong, &s);
	start(&t[1], thread_ping, &s);
	await(s.done, 1);
	join_all(t, 2);
	weft_chan_unref(s.a);
	weft_chan_unref(s.b);
	weft_chan_unref(s.done);
}

TEST(threads_speak_to_each_other)
{
	on_1_2_4_procs(threads_alone);
}

static void *
thread_give_up(void *arg)
{
	struct shared *s = arg;
	int64_t until = weft_in(2 * MS);
	weft_case cases[] = {WEFT_RECV(s->a, NULL), WEFT_RECV(s->b, NULL)};
	int v = 8;

	EXPECT_EQ(weft_chan_recv(s->a, &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(s->a, &v, until), -ETIMEDOUT);
	EXPECT(weft_now() >= until);
	until = weft_in(2 * MS);
	EXPECT_EQ(weft_select(cases, 2, until), -ETIMEDOUT);
	EXPECT(weft_now() >= until);
	EXPECT_EQ(v, 8);
	signal_one(s->done);

	/* Now wait for good: main closes b. */
	EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
	EXPECT_EQ(cases[1].res, 0);
	signal_one(s->done);
	return NULL;
}

static void
threads_give_up(void)
{
	struct shared s = {.a = chan_int(0), .b = chan_int(0), .done = chan_signal(0)};
	pthread_t t[2];

	start(&t[0], thread_give_up, &s);
	start(&t[1], thread_give_up, &s);
	await(s.done, 2);
	weft_chan_close(s.b);
	await(s.done, 2);
	join_all(t, 2);
	weft_chan_unref(s.a);
	weft_chan_unref(s.b);
	weft_chan_unref(s.done);
}

TEST(threads_have_deadlines_and_select)
{
	on_1_2_4_procs(threads_give_up);
}

/* Threads come and go: each is adopted for the time of its calls, and must leave nothing behind. */
static void *
thread_once(void *arg)
{
	struct shared *s = arg;

	send_int(s->a, 1);
	return NULL;
}

TEST(many_short_threads)
{
	struct shared s = {.a = chan_int(0)};
	int n = scaled(200);

	for (int i = 0; i < n; i++) {
		pthread_t t;

		start(&t, thread_once, &s);
		EXPECT_EQ(recv_int(s.a), 1);
		EXPECT_EQ(pthread_join(t, NULL), 0);
	}
	weft_chan_unref(s.a);
}
