/*
 * Who may free a channel, and when.
 */
#include "test.h"

#include <weft.h>

static void
close_it(void *arg)
{
	weft_chan_close(arg);
}

/*
 * A producer closes, and the consumer, who was given the only reference, drops it as soon as
 * it sees the end. If close still touched the channel then, the README's own program would now
 * and then write into freed memory. (Found by ThreadSanitizer.)
 */
TEST(a_receiver_that_sees_the_close_may_free_the_channel)
{
	int rounds = 20000 / test_scale();

	for (int i = 0; i < rounds; i++) {
		weft_chan *c = weft_chan_new(sizeof(int), 1);
		int got;

		EXPECT(c != NULL);
		EXPECT_EQ(weft_go(close_it, c), 0);
		do {
			got = weft_chan_recv(c, NULL, WEFT_NOW);
			if (got != 0)
				weft_yield();
		} while (got != 0);
		weft_chan_unref(c);
	}
}
