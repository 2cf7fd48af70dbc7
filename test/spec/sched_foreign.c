/*
 * Threads that weft did not start, while the rest of the process sleeps; and what they leave
 * behind.
 */
#include <weft.h>

#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static int fds[2];
static weft_chan *done;
static atomic_int ran;

static void
pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Reads by weft, and says when. */
static void *
read_one(void *arg)
{
	int one = 1;
	char c;

	(void)arg;
	pause_ms(500);			/* the monitor sleeps deeply, too */
	EXPECT_EQ(weft_read(fds[0], &c, 1, WEFT_FOREVER), 1);
	EXPECT_EQ(weft_chan_send(done, &one, WEFT_FOREVER), 0);
	return NULL;
}

/* Knows nothing of weft. */
static void *
write_later(void *arg)
{
	(void)arg;
	pause_ms(800);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	return NULL;
}

/*
 * A plain thread waits for a descriptor when no goroutine does: all threads of the runtime sleep by
 * then, and nobody asks the poller unless one of them is told to. It would wait for ever.
 */
TEST(a_plain_thread_waits_for_a_descriptor_while_all_else_sleeps)
{
	pthread_t reader, writer;
	int v = 0;

	EXPECT_EQ(pipe(fds), 0);
	done = weft_chan_new(sizeof(int), 0);
	pthread_create(&writer, NULL, write_later, NULL);
	pthread_create(&reader, NULL, read_one, NULL);
	EXPECT_EQ(weft_chan_recv(done, &v, WEFT_FOREVER), 1);
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	weft_chan_unref(done);
	EXPECT_EQ(close(fds[0]), 0);
	EXPECT_EQ(close(fds[1]), 0);
}

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
