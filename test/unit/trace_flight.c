/*
 * The flight recorder where many threads say little, and where events are lost. If these fail, it
 * has less to tell than it should when somebody needs it, or nothing at all.
 */
#include <weft.h>

#include "hold.h"
#include "sched/sched.h"
#include "test.h"
#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define THREADS 40

static pthread_barrier_t barrier;

/* Says a word, and is there until all have. */
static void *
says_a_word(void *arg)
{
	weft_trace_log(0, "k", "a word");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

/* A generation ends when it is a second old or large, not when many threads have spoken. */
TEST(threads_that_say_little_end_no_generation)
{
	pthread_t threads[THREADS];
	uint32_t first;

	(void)weft_goid();
	wf_sched.debug.trace_period_ns = 3600 * (int64_t)1000000000;
	EXPECT_EQ(weft_trace_flight_start(0, 0), 0);
	first = wf_load_acquire(&wf_trace.gen);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, says_a_word, NULL), 0);
	pthread_barrier_wait(&barrier);
	/* The call ends one, and before it the tracer ends what is too large. */
	EXPECT_EQ(weft_trace_flight_dump(-1), -EBADF);
	EXPECT_EQ(wf_load_acquire(&wf_trace.gen), first + 1);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
}

/* But one that has much to say does. */
TEST(a_large_generation_ends)
{
	uint32_t first;

	(void)weft_goid();
	wf_sched.debug.trace_period_ns = 3600 * (int64_t)1000000000;
	EXPECT_EQ(weft_trace_flight_start(0, 1 << 20), 0);
	first = wf_load_acquire(&wf_trace.gen);
	for (int i = 0; i < 200000 && wf_load_acquire(&wf_trace.gen) == first; i++)
		weft_trace_log(0, "k", "a word");
	EXPECT_EQ(weft_trace_flight_dump(-1), -EBADF);
	EXPECT(wf_load_acquire(&wf_trace.gen) > first + 1);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
}

static void *
starts_the_recorder(void *arg)
{
	*(int *)arg = weft_trace_flight_start(0, 0);
	return NULL;
}

/* Memory ran out for the trace that is being written; the recorder begins at that moment. */
TEST(the_recorder_starts_although_the_trace_is_lost)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), result = 1;
	pthread_t thread;

	EXPECT_EQ(weft_trace_start(null), 0);
	hold_at("tracer.serves");
	EXPECT_EQ(pthread_create(&thread, NULL, starts_the_recorder, &result), 0);
	hold_await("tracer.serves");
	wf_store_relaxed(&wf_trace.broken, 1);
	hold_release("tracer.serves");
	pthread_join(thread, NULL);
	EXPECT_EQ(result, 0);
	EXPECT_EQ(weft_trace_is_on(), 1);
	EXPECT_EQ(weft_trace_flight_dump(null), 0);
	EXPECT_EQ(weft_trace_stop(), -ENOBUFS);
	EXPECT_EQ(weft_trace_is_on(), 1);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
	close(null);
}
