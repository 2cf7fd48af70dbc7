/*
 * A metronome, a reader that is too slow for it, and an alarm that ends both.
 *
 *   ticker [PERIOD_MS]   default 20; ten beats, then three seen by a slow reader
 *
 * Beats keep their phase: each carries the time at which it was due, and one that nobody could
 * read in time is dropped, not made up for.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

#define MS ((int64_t)1000000)

static _Atomic int alarms;

static void
ring(void *arg)
{
	(void)arg;
	atomic_fetch_add(&alarms, 1);
}

int
main(int argc, char **argv)
{
	int64_t period = (argc > 1 ? atol(argv[1]) : 20) * MS;
	int64_t first = weft_in(period), due;
	weft_timer *beat = weft_timer_new(first, period, NULL, NULL);
	weft_timer *alarm = weft_timer_new(weft_in(1000 * period), 0, ring, NULL);
	int exact = 0, early = 0, skipped = 0;
	int64_t last;

	if (beat == NULL || alarm == NULL)
		return 1;

	for (int i = 0; i < 10; i++) {
		weft_chan_recv(weft_timer_chan(beat), &due, WEFT_FOREVER);
		exact += (due - first) % period == 0;
		early += weft_now() < due;
	}
	printf("10 beats, %d on the grid, %d early\n", exact, early);

	/* Work that takes longer than three beats: the first is kept, the others are lost. */
	last = due;
	for (int i = 0; i < 3; i++) {
		weft_sleep(7 * period / 2);
		weft_chan_recv(weft_timer_chan(beat), &due, WEFT_FOREVER);
		skipped += due - last > period;
		exact += (due - first) % period == 0;
		last = due;
	}
	printf("slow reader: 3 beats, %d on the grid, beats were skipped: %s\n", exact - 10,
	    skipped > 0 ? "yes" : "no");

	/* After a stop nothing of before can be received, however long a beat has been waiting. */
	weft_sleep(2 * period);
	printf("stop: %s\n", weft_timer_stop(beat) ? "prevented a beat" : "too late");
	if (weft_chan_recv(weft_timer_chan(beat), &due, weft_in(2 * period)) < 0)
		printf("silence\n");

	/* The alarm is far off; move it here. */
	printf("alarm was %s\n", weft_timer_reset(alarm, WEFT_NOW, 0) ? "pending" : "gone");
	while (atomic_load(&alarms) == 0)
		weft_yield();
	printf("alarm rang %d time\n", atomic_load(&alarms));

	weft_timer_free(alarm);
	weft_timer_free(beat);
	return 0;
}
