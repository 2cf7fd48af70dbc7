/*
 * What ends and is waited for: scopes, made and cancelled alone and a thousand at once; events,
 * alone and with a thousand that wait; a flight that nobody joins; an element through a channel,
 * plain and typed; a channel that is full, and one that is closed; a scope's value.
 */
#include <weft.h>

#include <weft/typed.h>
#include "lib/harness.h"

#include <stdlib.h>

#define CROWD 1000

static void
scopes(long cancel)
{
	long n = bench_n(2000000);
	int64_t start = bench_now();

	for (long i = 0; i < n; i++) {
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

		BENCH_CHECK(s != NULL);
		if (cancel)
			weft_scope_cancel(s, 0);
		weft_scope_free(s);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

/* ns per child: a parent with a thousand is cancelled. */
static void
children(long k)
{
	weft_scope **child = malloc((size_t)k * sizeof(*child));
	long n = bench_n(2000000) / k;
	int64_t spent = 0;

	BENCH_CHECK(child != NULL);
	for (long i = 0; i < n; i++) {
		weft_scope *parent = weft_scope_new(NULL, WEFT_FOREVER);
		int64_t start;

		for (long j = 0; j < k; j++)
			child[j] = weft_scope_new(parent, WEFT_FOREVER);
		start = bench_now();
		weft_scope_cancel(parent, 0);
		spent += bench_now() - start;
		for (long j = 0; j < k; j++) {
			BENCH_CHECK(weft_scope_err(child[j]) != 0);
			weft_scope_free(child[j]);
		}
		weft_scope_free(parent);
	}
	free(child);
	bench_value(NULL, "ns", (double)spent / (double)(n * k));
}

static weft_event event;
static weft_waitgroup all;

static void
events(long unused)
{
	long n = bench_n(10000000);
	int64_t start = bench_now();

	for (long i = 0; i < n; i++) {
		weft_event_set(&event);
		BENCH_CHECK(weft_event_wait(&event, WEFT_FOREVER) == 0);
		weft_event_reset(&event);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	(void)unused;
}

static void
wait_once(void *arg)
{
	BENCH_CHECK(weft_event_wait(arg, WEFT_FOREVER) == 0);
	weft_waitgroup_done(&all);
}

/* ns per waiter: from the set until all have run. */
static void
crowd(long k)
{
	long n = bench_n(2000000) / k;
	int64_t spent = 0;

	for (long i = 0; i < n; i++) {
		weft_event done = {0};
		int64_t start;

		weft_waitgroup_add(&all, (int)k);
		for (long j = 0; j < k; j++)
			BENCH_CHECK(weft_go(wait_once, &done) == 0);
		weft_yield();
		start = bench_now();
		weft_event_set(&done);
		weft_waitgroup_wait(&all, WEFT_FOREVER);
		spent += bench_now() - start;
	}
	bench_value(NULL, "ns", (double)spent / (double)(n * k));
}

static int
answer(void *data)
{
	*(long *)data += 1;
	return 0;
}

static void
flights(long unused)
{
	static weft_flight flight;
	long n = bench_n(1000000);
	int64_t start = bench_now();

	for (long i = 0; i < n; i++) {
		long v = i;

		BENCH_CHECK(weft_flight_do(&flight, "key", 3, answer, &v, sizeof(v),
				WEFT_FOREVER) == 0);
		BENCH_CHECK(v == i + 1);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	(void)unused;
}

WEFT_CHAN_OF(longs, long);

/* ns for a send and the receive of the same element, by one goroutine. */
static void
through(long typed)
{
	longs c = longs_new(1);
	long n = bench_n(10000000), v = 0, sum = 0;
	int64_t start = bench_now();

	for (long i = 0; i < n; i++) {
		if (typed) {
			longs_send(c, 1, WEFT_FOREVER);
			longs_recv(c, &v, WEFT_FOREVER);
		} else {
			long one = 1;

			weft_chan_send(c.chan, &one, WEFT_FOREVER);
			weft_chan_recv(c.chan, &v, WEFT_FOREVER);
		}
		sum += v;
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(sum == n);
	longs_unref(c);
}

/* ns to find that a channel is full. */
static void
try_in_vain(long unused)
{
	weft_chan *c = weft_chan_new(sizeof(long), 1);
	long n = bench_n(20000000), v = 1;
	int64_t start;

	BENCH_CHECK(weft_chan_send(c, &v, WEFT_NOW) == 0);
	start = bench_now();
	for (long i = 0; i < n; i++)
		BENCH_CHECK(weft_chan_send(c, &v, WEFT_NOW) < 0);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	weft_chan_unref(c);
	(void)unused;
}

/* ns to make a channel, close and free it. */
static void
close_each(long unused)
{
	long n = bench_n(5000000), v;
	int64_t start = bench_now();

	for (long i = 0; i < n; i++) {
		weft_chan *c = weft_chan_new(sizeof(long), 0);

		weft_chan_close(c);
		BENCH_CHECK(weft_chan_recv(c, &v, WEFT_FOREVER) == 0);
		weft_chan_unref(c);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	(void)unused;
}

/* ns to find a value that a scope `above` scopes up has. */
static void
find_value(long above)
{
	static const char key;
	weft_scope *top = weft_scope_new(NULL, WEFT_FOREVER), *s = top;
	long n = bench_n(10000000), value = 7, sum = 0;
	weft_scope *all_scopes[16];
	int64_t start;

	BENCH_CHECK(above <= 16 && weft_scope_set(top, &key, &value) == 0);
	for (long i = 0; i < above; i++)
		s = all_scopes[i] = weft_scope_new(s, WEFT_FOREVER);
	start = bench_now();
	for (long i = 0; i < n; i++)
		sum += *(long *)weft_scope_get(s, &key);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
	BENCH_CHECK(sum == 7 * n);
	while (above > 0)
		weft_scope_free(all_scopes[--above]);
	weft_scope_free(top);
}

static const struct bench_case cases[] = {
    {.name = "scope_new_free_1p", .run = scopes, .arg = 0, .procs = 1},
    {.name = "scope_new_cancel_free_1p", .run = scopes, .arg = 1, .procs = 1},
    {.name = "scope_cancel_1000_1p", .run = children, .arg = CROWD, .procs = 1},
    {.name = "event_set_wait_reset_1p", .run = events, .procs = 1},
    {.name = "event_set_1000_wait_1p", .run = crowd, .arg = CROWD, .procs = 1},
    {.name = "flight_alone_1p", .run = flights, .procs = 1},
    {.name = "chan_through_1p", .run = through, .arg = 0, .procs = 1},
    {.name = "chan_through_typed_1p", .run = through, .arg = 1, .procs = 1},
    {.name = "chan_try_send_full_1p", .run = try_in_vain, .procs = 1},
    {.name = "chan_new_close_recv_free_1p", .run = close_each, .procs = 1},
    {.name = "scope_value_1p", .run = find_value, .arg = 5, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
