/*
 * A signal that has come to its handler, and not further, while its last channel stops:
 * src/signal/README.md, T2.
 */
#include "hold.h"
#include "test.h"

#include <weft.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static void *
raise_it(void *unused)
{
	(void)unused;
	raise(SIGUSR1);
	return NULL;
}

static void
stop_it(void *arg)
{
	weft_signal_stop(arg);
}

/* Without T2 the stop would return, and the signal be neither in the channel nor anywhere. */
TEST(a_signal_in_its_handler_is_waited_for_by_stop)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);
	weft_waitgroup wg = {0};
	pthread_t t;
	int sig = 0;

	EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
	hold_at("signal.arriving");
	EXPECT_EQ(pthread_create(&t, NULL, raise_it, NULL), 0);
	hold_await("signal.arriving");
	EXPECT_EQ(weft_waitgroup_go(&wg, stop_it, c), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(20000000)), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_len(c), 0);
	hold_release("signal.arriving");
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(INT64_C(30000000000))), 0);
	EXPECT_EQ(weft_chan_recv(c, &sig, WEFT_NOW), 1);
	EXPECT_EQ(sig, SIGUSR1);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	weft_chan_unref(c);
}
