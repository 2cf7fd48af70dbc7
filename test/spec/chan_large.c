/*
 * Elements that are larger than a goroutine's stack. Copied by way of a stack they would overflow
 * it; they go from where the sender has them to where the receiver wants them, or to the buffer.
 * RELIABILITY 39.
 */
#include <weft.h>

#include "test.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 20, N = 8 };

static weft_chan *chan;

static void
send_large(void *arg)
{
	char *element = malloc(SIZE);

	(void)arg;
	EXPECT(element != NULL);
	for (int i = 0; i < N; i++) {
		memset(element, 'a' + i, SIZE);
		EXPECT_EQ(weft_chan_send(chan, element, WEFT_FOREVER), 0);
	}
	weft_chan_close(chan);
	free(element);
}

static void
receive_large(void *group)
{
	char *element = malloc(SIZE);

	EXPECT(element != NULL);
	for (int i = 0; i < N; i++) {
		memset(element, '-', SIZE);
		if (i % 2 == 0) {
			EXPECT_EQ(weft_chan_recv(chan, element, WEFT_FOREVER), 1);
		} else {
			weft_case c = WEFT_RECV(chan, element);

			EXPECT_EQ(weft_select(&c, 1, WEFT_FOREVER), 0);
		}
		EXPECT_EQ(element[0], 'a' + i);
		EXPECT_EQ(memcmp(element, element + 1, SIZE - 1), 0);
	}
	EXPECT_EQ(weft_chan_recv(chan, element, WEFT_FOREVER), 0);
	free(element);
	weft_waitgroup_done(group);
}

TEST(an_element_may_be_larger_than_a_stack)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		weft_waitgroup group = { 0 };

		chan = weft_chan_new(SIZE, capacity);
		EXPECT(chan != NULL);
		weft_waitgroup_add(&group, 1);
		EXPECT_EQ(weft_go(send_large, NULL), 0);
		EXPECT_EQ(weft_go(receive_large, &group), 0);
		weft_waitgroup_wait(&group, WEFT_FOREVER);
		weft_chan_unref(chan);
	}
}
