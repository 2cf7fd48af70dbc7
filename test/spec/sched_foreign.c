/*
 * Threads that weft did not start, and what they leave behind.
 */
#include <weft.h>

#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_int ran;

static void
note_run(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void *
defer_and_return(void *arg)
{
	weft_defer(note_run, arg);
	return NULL;
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* The end of all its deferred calls: a thread that has none runs none. */
static void *
goexit_at_once(void *arg)
{
	(void)arg;
	weft_goexit();
}

/*
 * The goroutine of a plain thread ends with the thread: what it deferred runs then, on it, and not
 * in the next thread that calls weft, with arguments long gone.
 */
TEST(deferred_calls_of_a_plain_thread_run_when_it_ends)
{
	pthread_t t;

	EXPECT(weft_goid() > 0);
	pthread_create(&t, NULL, defer_and_return, &ran);
	pthread_join(t, NULL);
	EXPECT_EQ(atomic_load(&ran), 1);
	pthread_create(&t, NULL, goexit_at_once, NULL);
	pthread_join(t, NULL);
	EXPECT_EQ(atomic_load(&ran), 1);
}

static void
end_the_thread(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

static void *
end_in_a_try(void *arg)
{
	(void)arg;
	(void)weft_try(end_the_thread, NULL, NULL, 0);
	return NULL;
}

static void
do_panic(void *arg)
{
	(void)arg;
	weft_panic("mine");
}

static void *
try_something(void *arg)
{
	char msg[16];

	(void)arg;
	EXPECT_EQ(weft_try(nothing, NULL, msg, sizeof(msg)), 0);
	EXPECT_EQ(weft_try(do_panic, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "mine");
	return NULL;
}

/* A thread that ends inside weft_try() leaves no place to land for the panics of the next. */
TEST(a_plain_thread_may_end_inside_a_try)
{
	pthread_t t;

	EXPECT(weft_goid() > 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&t, NULL, end_in_a_try, NULL);
		pthread_join(t, NULL);
		pthread_create(&t, NULL, try_something, NULL);
		pthread_join(t, NULL);
	}
}
