/*
 * Does what each probe is for. Rounds of it, for ever with the argument "forever"; else, after a
 * line of standard input, until each has happened, and says "done"; ends with the input.
 */
#include <weft.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define MANY 64

static const char *const counted[] = {
	"/weft/sched/steals:batches", "/weft/sched/hand-offs:processors",
	"/weft/sched/detaches/blocked:threads", "/weft/sched/detaches/computing:threads",
	"/weft/sched/polls:calls",
};
#define N_COUNTED (sizeof(counted) / sizeof(counted[0]))

static weft_chan *there;
static int pair[2];

static void
receives(void *arg)
{
	int v;

	(void)arg;
	while (weft_chan_recv(there, &v, WEFT_FOREVER) == 1)
		continue;
}

static void
reads(void *arg)
{
	char c;

	(void)arg;
	while (weft_read(pair[0], &c, 1, WEFT_FOREVER) == 1)
		continue;
}

static void
is_started(void *arg)
{
	(void)arg;
	weft_yield();
}

static void
blocks(void *arg)
{
	(void)arg;
	usleep(50000);
}

static void
computes(void *arg)
{
	struct timespec t;
	int64_t end = 0, now;

	(void)arg;
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = t.tv_sec * 1000 * MS + t.tv_nsec;
		end = end == 0 ? now + 50 * MS : end;
	} while (now < end);
}

static void
do_all(void)
{
	int v = 0;

	for (int i = 0; i < MANY; i++)
		weft_go(is_started, NULL);
	weft_go(blocks, NULL);
	for (int i = 0; i < 4; i++)	/* more than there are processors: some want theirs */
		weft_go(computes, NULL);
	weft_chan_send(there, &v, WEFT_FOREVER);
	weft_write(pair[1], "x", 1, WEFT_FOREVER);
	while (weft_numgoroutine() > 3)
		weft_sleep(MS);
}

static void
count(uint64_t *ret)
{
	weft_metric m[64];
	size_t n = weft_metrics_read(m, 64);

	for (size_t i = 0; i < N_COUNTED; i++)
		for (size_t k = 0; k < n && k < 64; k++)
			if (strcmp(m[k].name, counted[i]) == 0)
				ret[i] = m[k].value;
}

static bool
have_grown(const uint64_t *before)
{
	uint64_t now[N_COUNTED] = { 0 };

	count(now);
	for (size_t i = 0; i < N_COUNTED; i++)
		if (now[i] == before[i])
			return false;
	return true;
}

int
main(int argc, char **argv)
{
	uint64_t before[N_COUNTED] = { 0 };
	char line[16];

	(void)argv;
	there = weft_chan_new(sizeof(int), 0);
	if (pipe(pair) != 0 || weft_go(receives, NULL) != 0 || weft_go(reads, NULL) != 0)
		return 1;
	while (argc > 1)
		do_all();
	puts("ready");
	fflush(stdout);
	if (weft_read(0, line, sizeof(line), WEFT_FOREVER) <= 0)
		return 1;
	count(before);
	do
		do_all();
	while (!have_grown(before));
	puts("done");
	fflush(stdout);
	while (weft_read(0, line, sizeof(line), WEFT_FOREVER) > 0)
		continue;
	return 0;
}
