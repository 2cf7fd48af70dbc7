/*
 * Two players hit a ball over two channels; a third goroutine calls time.
 *
 *   pingpong [MS]        plays for MS milliseconds (default 100), prints the score and the pace
 */
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

struct player {
	weft_chan *from, *to, *stop;
	long hits;
};

static int
play(void *arg)
{
	struct player *p = arg;
	long ball;

	for (;;) {
		weft_case cases[] = {
			WEFT_RECV(p->from, &ball),
			WEFT_RECV(p->stop, NULL),
		};

		if (weft_select(cases, 2, WEFT_FOREVER) == 1)
			return 0;
		p->hits++;
		ball++;
		cases[0] = WEFT_SEND(p->to, &ball);
		if (weft_select(cases, 2, WEFT_FOREVER) == 1)
			return 0;
	}
}

int
main(int argc, char **argv)
{
	int64_t ms = argc > 1 ? atol(argv[1]) : 100;
	weft_chan *left = weft_chan_new(sizeof(long), 0);
	weft_chan *right = weft_chan_new(sizeof(long), 0);
	weft_timer *time_up = weft_timer_new(weft_in(ms * 1000000), 0, NULL, NULL);
	weft_scope *game = weft_scope_new(NULL, WEFT_FOREVER);
	weft_chan *stop = weft_chan_new(0, 0);
	struct player a = { left, right, stop, 0 };
	struct player b = { right, left, stop, 0 };
	long ball = 0;

	weft_scope_go(game, play, &a);
	weft_scope_go(game, play, &b);
	weft_chan_send(left, &ball, WEFT_FOREVER);

	weft_chan_recv(weft_timer_chan(time_up), NULL, WEFT_FOREVER);
	weft_chan_close(stop);
	weft_scope_wait(game, WEFT_FOREVER);

	printf("ping %ld, pong %ld\n", a.hits, b.hits);
	if (a.hits + b.hits > 0)
		printf("%.0f ns a hit\n", (double)ms * 1e6 / (double)(a.hits + b.hits));

	weft_scope_free(game);
	weft_timer_free(time_up);
	weft_chan_unref(stop);
	weft_chan_unref(left);
	weft_chan_unref(right);
	return 0;
}
