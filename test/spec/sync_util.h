/*
 * What the tests of mutex, rwmutex, cond, waitgroup, once and sem share: the same test on 1, 2
 * and 4 processors, crews of goroutines and plain threads, deaths. Uses <weft.h> only.
 */
#ifndef WEFT_TEST_SPEC_SYNC_UTIL_H
#define WEFT_TEST_SPEC_SYNC_UTIL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include "child.h"
#include "test.h"

#define US ((int64_t)1000)
#define MS ((int64_t)1000000)
#define SECOND ((int64_t)1000000000)

static inline void
go(void (*fn)(void *), void *arg)
{
	EXPECT_EQ(weft_go(fn, arg), 0);
}

static inline void
on_1_2_4_procs(void (*fn)(void))
{
	static const int procs[] = { 1, 2, 4 };

	for (size_t i = 0; i < sizeof(procs) / sizeof(procs[0]); i++) {
		weft_gomaxprocs(procs[i]);
		fn();
	}
}

/* n, or less of it under a sanitizer; at least 1. */
static inline int
scaled(int n)
{
	int m = n / test_scale();

	return m > 0 ? m : 1;
}

/* Until *n has reached want. Others run meanwhile. */
static inline void
await_count(_Atomic int *n, int want)
{
	while (atomic_load(n) < want)
		weft_yield();
}

/* Keeps the processor busy. */
static inline void
compute(int64_t ns)
{
	int64_t end = weft_in(ns);

	while (weft_now() < end)
		continue;
}

/*
 * A crew runs one function n times at once: on goroutines, on plain threads, or on both by
 * turns. It is waited for without any of the types under test.
 */
struct crew {
	void (*fn)(void *);
	void *arg;
	int n_threads;
	int n;
	_Atomic int ended;
	pthread_t threads[16];
};

static inline void
crew_goroutine(void *p)
{
	struct crew *c = p;

	c->fn(c->arg);
	atomic_fetch_add(&c->ended, 1);
}

static inline void *
crew_thread(void *p)
{
	crew_goroutine(p);
	return NULL;
}

/* Starts n more of fn(arg), n_threads of them on plain threads. c lives until crew_wait(). */
static inline void
crew_start(struct crew *c, void (*fn)(void *), void *arg, int n, int n_threads)
{
	memset(c, 0, sizeof(*c));
	c->fn = fn;
	c->arg = arg;
	c->n = n;
	c->n_threads = n_threads;
	EXPECT(n_threads <= (int)(sizeof(c->threads) / sizeof(c->threads[0])));
	for (int i = 0; i < n; i++) {
		if (i < n_threads)
			EXPECT_EQ(pthread_create(&c->threads[i], NULL, crew_thread, c), 0);
		else
			go(crew_goroutine, c);
	}
}

static inline bool
crew_has_ended(struct crew *c)
{
	return atomic_load(&c->ended) == c->n;
}

static inline void
crew_wait(struct crew *c)
{
	while (!crew_has_ended(c))
		weft_sleep(20 * US);
	for (int i = 0; i < c->n_threads; i++)
		EXPECT_EQ(pthread_join(c->threads[i], NULL), 0);
}

static inline void
crew_run(void (*fn)(void *), void *arg, int n, int n_threads)
{
	struct crew c;

	crew_start(&c, fn, arg, n, n_threads);
	crew_wait(&c);
}

/* fn, in a process of its own, dies with status 2 and says text. */
static inline void
expect_death(void (*fn)(void *), const char *text)
{
	struct child_result r = child_run(fn, NULL);

	EXPECT_CONTAINS(r.err, text);
	EXPECT(!r.timed_out);
	EXPECT_EQ(r.status, 2);
	child_result_free(&r);
}

/* fn panics with exactly this text, and a weft_try() recovers it. */
static inline void
expect_panic(void (*fn)(void *), void *arg, const char *text)
{
	char msg[128] = "";

	EXPECT_EQ(weft_try(fn, arg, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, text);
}

/* fn(arg) runs in a scope that is already cancelled; returns when it has ended. */
static inline void
run_cancelled(int (*fn)(void *), void *arg)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	EXPECT(s != NULL);
	EXPECT_EQ(weft_scope_go(s, fn, arg), 0);
	weft_scope_cancel(s, -ECANCELED);
	weft_scope_free(s);
}

#endif /* WEFT_TEST_SPEC_SYNC_UTIL_H */
