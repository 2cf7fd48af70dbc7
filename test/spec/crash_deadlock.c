/*
 * All goroutines asleep: without the report a program that has locked itself up just sits there,
 * and whoever finds it must attach a debugger to learn what every goroutine waits for.
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static weft_chan *chan;
static weft_mutex mutex;
static weft_waitgroup group;

static void
recv_for_ever(void *arg)
{
	(void)arg;
	chan = weft_chan_new(0, 0);
	weft_chan_recv(chan, NULL, WEFT_FOREVER);
}

static void
send_for_ever(void *arg)
{
	(void)arg;
	chan = weft_chan_new(0, 0);
	weft_chan_send(chan, NULL, WEFT_FOREVER);
}

static void
recv_nil(void *arg)
{
	(void)arg;
	weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

static void
send_nil(void *arg)
{
	(void)arg;
	weft_chan_send(NULL, NULL, WEFT_FOREVER);
}

static void
select_nothing(void *arg)
{
	(void)arg;
	weft_select(NULL, 0, WEFT_FOREVER);
}

static void
select_two(void *arg)
{
	weft_chan *a = weft_chan_new(0, 0), *b = weft_chan_new(0, 0);
	weft_case cases[] = {WEFT_RECV(a, NULL), WEFT_SEND(b, NULL)};

	(void)arg;
	weft_select(cases, 2, WEFT_FOREVER);
}

static void
lock_twice(void *arg)
{
	(void)arg;
	weft_mutex_lock(&mutex);
	weft_mutex_lock(&mutex);
}

static void
wait_for_nobody(void *arg)
{
	(void)arg;
	weft_waitgroup_add(&group, 1);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}

/* SCENARIOS 95: TestSimpleDeadlock, TestInitDeadlock. */
TEST(main_waits_for_nobody)
{
	static const struct {
		void (*fn)(void *);
		const char *header, *call;
	} cases[] = {
	    {recv_for_ever, "goroutine 1 [chan receive]:\n", "weft_chan_recv(...)\n"},
	    {send_for_ever, "goroutine 1 [chan send]:\n", "weft_chan_send(...)\n"},
	    {recv_nil, "goroutine 1 [chan receive (nil chan)]:\n", "weft_chan_recv(...)\n"},
	    {send_nil, "goroutine 1 [chan send (nil chan)]:\n", "weft_chan_send(...)\n"},
	    {select_nothing, "goroutine 1 [select (no cases)]:\n", "weft_select(...)\n"},
	    {select_two, "goroutine 1 [select]:\n", "weft_select(...)\n"},
	    {lock_twice, "goroutine 1 [sync.Mutex.Lock]:\n", "weft_mutex_lock(...)\n"},
	    {wait_for_nobody, "goroutine 1 [sync.WaitGroup.Wait]:\n", "weft_waitgroup_wait(...)\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child_result r = child_run(cases[i].fn, NULL);
		const char *text = "fatal error: all goroutines are asleep - deadlock!\n\n";

		EXPECT_EQ(r.status, 2);
		EXPECT(strncmp(r.err, text, strlen(text)) == 0);
		EXPECT_CONTAINS(r.err, cases[i].header);
		EXPECT_CONTAINS(r.err, cases[i].call);
		EXPECT_CONTAINS(r.err, "\nmain(...)\n");
		child_result_free(&r);
	}
}

static void
parked(void *arg)
{
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
	KEEP_FRAME();
}

static void
several_wait(void *arg)
{
	weft_go_options o = {.size = sizeof(o), .name = "reader"};

	(void)arg;
	chan = weft_chan_new(0, 0);
	weft_go(parked, chan);
	weft_go_with(&o, parked, chan);
	wait_for_nobody(NULL);
}

TEST(everybody_is_listed)
{
	struct child_result r = child_run(several_wait, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "goroutine 1 [sync.WaitGroup.Wait]:\n");
	EXPECT_CONTAINS(r.err, " [chan receive, \"reader\"]:\nweft_chan_recv(...)\n");
	EXPECT_CONTAINS(r.err, "\nparked(...)\n");
	EXPECT_CONTAINS(r.err, "\ncreated by several_wait in goroutine 1\n");
	child_result_free(&r);
}

static void
short_life(void *arg)
{
	(void)arg;
	weft_yield();
}

static void
main_leaves(void *arg)
{
	for (int i = 0; i < 3; i++)
		weft_go(short_life, arg);
	weft_goexit();
}

static void
main_leaves_a_sleeper(void *arg)
{
	weft_go(parked, weft_chan_new(0, 0));
	main_leaves(arg);
}

/* SCENARIOS 97: TestGoexitDeadlock, TestGoexitCrash. */
TEST(main_left_and_the_others_ended)
{
	struct child_result r = child_run(main_leaves, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(
	    r.err, "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n");
	child_result_free(&r);
	r = child_run(main_leaves_a_sleeper, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: all goroutines are asleep - deadlock!\n");
	EXPECT_CONTAINS(r.err, " [chan receive]:\n");
	child_result_free(&r);
}

static void
pending_timer(void *arg)
{
	(void)arg;
	chan = weft_chan_new(0, 0);
	EXPECT(weft_chan_recv(chan, NULL, weft_in(300 * 1000000)) < 0);
}

static void
sleeper_answers(void *arg)
{
	(void)arg;
	weft_sleep(200 * 1000000);
	weft_chan_send(chan, NULL, WEFT_FOREVER);
}

static void
sleeping_goroutine(void *arg)
{
	chan = weft_chan_new(0, 0);
	weft_go(sleeper_answers, arg);
	weft_chan_recv(chan, NULL, WEFT_FOREVER);
}

static void
timer_that_was_stopped(void *arg)
{
	weft_timer *t = weft_timer_new(weft_in(3600 * (int64_t)1000000000), 0, NULL, NULL);

	weft_timer_stop(t);
	recv_for_ever(arg);
}

/* SCENARIOS 98: checkdead's rule about timers. */
TEST(a_pending_timer_is_hope_a_stopped_one_is_not)
{
	struct child_result r = child_run(pending_timer, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.err, "");
	child_result_free(&r);
	r = child_run(sleeping_goroutine, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.err, "");
	child_result_free(&r);
	r = child_run(timer_that_was_stopped, NULL);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
	child_result_free(&r);
}

static void *
calls_weft_and_ends(void *arg)
{
	(void)weft_goid();
	usleep(50000);
	return arg;
}

static void *
never_calls_weft(void *arg)
{
	usleep(300000);
	return arg;
}

static void
locked_and_ends(void *arg)
{
	(void)arg;
	weft_lock_thread();
	usleep(20000);
}

static void
thread_ends_last(void *arg)
{
	void *(*fn)(void *) = *(void *(**)(void *))arg;
	pthread_t thread;

	(void)weft_goid();
	EXPECT_EQ(pthread_create(&thread, NULL, fn, NULL), 0);
	pthread_detach(thread);
	recv_for_ever(NULL);
}

static void
locked_goroutine_ends_last(void *arg)
{
	weft_go(locked_and_ends, arg);
	recv_for_ever(NULL);
}

/* The last event is a thread's end, and while it ends the kernel counts it still. */
TEST(a_thread_that_ends_is_hope_no_more)
{
	static void *(*fns[])(void *) = {calls_weft_and_ends, never_calls_weft};

	for (int i = 0; i < 3; i++) {
		struct child_result r = i < 2 ? child_run(thread_ends_last, &fns[i]) :
						child_run(locked_goroutine_ends_last, NULL);

		EXPECT_EQ(r.status, 2);
		EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
		child_result_free(&r);
	}
}

static void
unlock_unlocked(void *arg)
{
	(void)arg;
	weft_mutex_unlock(&mutex);
	KEEP_FRAME();
}

static void
recover_unlock(void *arg)
{
	weft_try(unlock_unlocked, arg, NULL, 0);
}

/* Fatal errors: Go's words, and no weft_try stops them. */
TEST(misuse_that_is_fatal)
{
	struct child_result r = child_run(recover_unlock, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: sync: unlock of unlocked mutex\n[mutex 0x");
	EXPECT_CONTAINS(r.err, "unlocks it, too]\n\ngoroutine 1 [running]:\n"
			       "weft_mutex_unlock(...)\n");
	EXPECT_CONTAINS(r.err, "\nunlock_unlocked(...)\n");
	child_result_free(&r);
}

static void
go_nil(void *arg)
{
	weft_go(NULL, arg);
	KEEP_FRAME();
}

TEST(go_of_a_nil_function)
{
	struct child_result r = child_run(go_nil, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "fatal error: go of nil func value\n\ngoroutine 1 [running]:\n");
	EXPECT_CONTAINS(r.err, "\ngo_nil(...)\n");
	child_result_free(&r);
}
