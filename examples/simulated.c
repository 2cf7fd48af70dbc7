/*
 * A test in simulated time: a client that tries again, waiting twice as long each time, against a
 * service that is down for an hour. It runs in a thousand different orders in a few seconds.
 *
 *     simulated [SEED]      one run, to look at it again
 */
#include <weft.h>
#include <weft/sim.h>

#include <stdio.h>
#include <stdlib.h>

#define SECOND ((int64_t)1000000000)
#define MINUTE (60 * SECOND)

static weft_event is_up;

static void
service(void *arg)
{
	(void)arg;
	weft_sleep(60 * MINUTE);
	weft_event_set(&is_up);
}

/* Returns after how many tries it was served. */
static int
ask_until_served(void)
{
	int64_t pause = SECOND;

	for (int tries = 1;; tries++) {
		if (weft_event_wait(&is_up, WEFT_NOW) == 0)
			return tries;
		weft_sleep(pause);
		pause = pause < 5 * MINUTE ? 2 * pause : 5 * MINUTE;
	}
}

static void
test(void *arg)
{
	int64_t from = weft_now();
	int tries;

	(void)arg;
	weft_go(service, NULL);
	tries = ask_until_served();
	if (tries >= 25 || weft_now() - from >= 70 * MINUTE)
		weft_panic("served at try %d, after %lld s", tries,
		    (long long)((weft_now() - from) / SECOND));
}

int
main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t n = argc > 1 ? 1 : 1000;

	for (uint64_t seed = first; seed < first + n; seed++)
		if (weft_sim_run(seed, test, NULL) != 0)
			return 1;
	puts("ok");
	return 0;
}
