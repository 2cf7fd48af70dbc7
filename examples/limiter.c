/*
 * A rate limiter: a bucket that holds up to BURST tokens and gets RATE of them a second. Whoever
 * wants to do something takes a token, or waits for one, or is refused.
 *
 *	limiter RATE BURST REQUESTS [wait | refuse]
 *
 * Eight clients make the requests, as fast as they may. Prints for each that went through when its
 * token came into the bucket and when it went, in microseconds from the start; then the counts.
 */
#include <weft.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define CLIENTS 8

/*
 * The bucket is a channel: a token is the time at which it came. Taking one is a receive, and so it
 * has a deadline, can stand in a select, and serves those who wait in their order.
 */
struct bucket {
	weft_chan *tokens;
	weft_timer *beat;
	int64_t start, interval;	/* token k comes at start + k * interval */
};

/*
 * A goroutine of the bucket's scope. A timer drops beats that nobody read in time (because the
 * machine was busy, say), so tokens are counted by the clock, not by the beats.
 */
static int
fill(void *arg)
{
	struct bucket *b = arg;
	int64_t due, next = b->start + b->interval;

	while (weft_chan_recv(weft_timer_chan(b->beat), &due, WEFT_FOREVER) == 1) {
		for (; next <= due; next += b->interval)
			(void)weft_chan_send(b->tokens, &next, WEFT_NOW); /* full: it is lost */
	}
	return 0;
}

static int
bucket_open(struct bucket *b, weft_scope *scope, long rate, size_t burst)
{
	b->interval = SECOND / rate;
	b->start = weft_now();
	b->tokens = weft_chan_new(sizeof(int64_t), burst);
	b->beat = weft_timer_new(b->start + b->interval, b->interval, NULL, NULL);
	if (b->tokens == NULL || b->beat == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < burst; i++)
		(void)weft_chan_send(b->tokens, &b->start, WEFT_NOW);
	return weft_scope_go(scope, fill, b);
}

/* 1 and the time of the token; or -ETIMEDOUT, -ECANCELED. */
static int
bucket_take(struct bucket *b, int64_t *ret_came, int64_t deadline)
{
	return weft_chan_recv(b->tokens, ret_came, deadline);
}

static struct bucket bucket;
static weft_scope *filling, *clients;
static _Atomic long left, refused;
static _Atomic long taken;
static int64_t deadline_of_request;
static weft_chan *signals;

static int
run_client(void *unused)
{
	int64_t came;

	(void)unused;
	while (atomic_fetch_sub(&left, 1) > 0) {
		int r = bucket_take(&bucket, &came, deadline_of_request);

		if (r == -ECANCELED)
			return r;
		if (r == -ETIMEDOUT) {
			atomic_fetch_add(&refused, 1);
			continue;
		}
		atomic_fetch_add(&taken, 1);
		printf("%lld %lld\n", (long long)(came - bucket.start) / 1000,
		    (long long)(weft_now() - bucket.start) / 1000);
	}
	return 0;
}

static void
watch_signals(void *unused)
{
	(void)unused;
	weft_chan_recv(signals, NULL, WEFT_FOREVER);
	weft_scope_cancel(clients, -EINTR);
}

int
main(int argc, char **argv)
{
	long rate = argc > 1 ? atol(argv[1]) : 0;
	long burst = argc > 2 ? atol(argv[2]) : 0;
	long requests = argc > 3 ? atol(argv[3]) : 0;
	bool refuses = argc == 5 && strcmp(argv[4], "refuse") == 0;

	if (argc < 4 || argc > 5 || (argc == 5 && !refuses && strcmp(argv[4], "wait") != 0) ||
	    rate < 1 || rate > 1000000 || burst < 1 || burst > 1000000 || requests < 1) {
		fprintf(stderr, "usage: limiter RATE BURST REQUESTS [wait | refuse]\n");
		return 64;
	}
	signals = weft_chan_new(sizeof(int), 1);
	if (signals == NULL || weft_signal_notify(signals, SIGINT) < 0)
		return 1;

	atomic_store(&left, requests);
	deadline_of_request = refuses ? WEFT_NOW : WEFT_FOREVER;
	filling = weft_scope_new(NULL, WEFT_FOREVER);
	clients = weft_scope_new(NULL, WEFT_FOREVER);
	if (filling == NULL || clients == NULL ||
	    bucket_open(&bucket, filling, rate, (size_t)burst) < 0)
		return 1;
	weft_go(watch_signals, NULL);
	for (int i = 0; i < CLIENTS; i++)
		weft_scope_go(clients, run_client, NULL);
	weft_scope_wait(clients, WEFT_FOREVER);

	printf("%ld taken, %ld refused\n", atomic_load(&taken), atomic_load(&refused));
	weft_scope_free(filling);	/* ends fill(), which waits for a beat */
	weft_timer_free(bucket.beat);
	weft_chan_unref(bucket.tokens);
	return weft_scope_cause(clients) == -EINTR ? 130 : 0;
}
