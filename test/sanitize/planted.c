/*
 * A bug for a sanitizer to find, in goroutines that have parked and gone on: the argument names it.
 * Without an argument, the same without a bug.
 */
#include <weft.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *bug = "";
static weft_waitgroup group;
static weft_mutex mutex;
static long counter;
static int *volatile left;
static void *volatile lost;

static int
is(const char *name)
{
	return strcmp(bug, name) == 0;
}

static __attribute__((noinline)) void
leave_a_pointer(weft_chan *c)
{
	int frame[16] = { 0 };

	weft_chan_recv(c, NULL, WEFT_FOREVER);
	left = frame;
}

static __attribute__((noinline)) int
overrun(weft_chan *c, volatile int n)
{
	char frame[16], *volatile p = frame;

	memset(frame, 'a', sizeof(frame));
	weft_chan_recv(c, NULL, WEFT_FOREVER);
	return p[n];
}

static void
use_memory(void *arg)
{
	weft_chan *c = arg;
	volatile int most = INT32_MAX;
	char *p = malloc(16);

	if (!is("uninitialised"))
		memset(p, 'a', 16);
	weft_chan_recv(c, NULL, WEFT_FOREVER);
	if (is("freed"))
		free(p);
	if (p[7] == 'b')
		puts("b");
	if (is("leak")) {
		lost = malloc(1000);
		lost = NULL;
	}
	if (is("overrun") && overrun(c, 16) == 'b')
		puts("b");
	if (is("returned")) {
		leave_a_pointer(c);
		if (left[3] == 1)
			puts("1");
	}
	if (is("overflow"))
		most = most + 1;
	if (!is("race"))
		weft_mutex_lock(&mutex);
	for (int i = 0; i < (is("race") ? 1000000 : 1000); i++)
		counter++;
	if (!is("race"))
		weft_mutex_unlock(&mutex);
	if (!is("freed"))
		free(p);
}

/* It holds what it has allocated for ever: on its stack, and where its frame's address is known. */
static void
hold_memory(void *arg)
{
	void *volatile one = malloc(100);
	void *volatile kept[2] = { malloc(200), malloc(300) };

	weft_chan_send(arg, NULL, WEFT_FOREVER);
	weft_chan_recv(NULL, NULL, WEFT_FOREVER);
	free(one);
	free(kept[0]);
	free(kept[1]);
}

/* Others begin and end while the process does. */
static void
be_short(void *unused)
{
	volatile char frame[64];

	(void)unused;
	memset((char *)frame, 'a', sizeof(frame));
	weft_yield();
}

static void
come_and_go(void *unused)
{
	(void)unused;
	for (;;) {
		weft_go(be_short, NULL);
		weft_yield();
	}
}

static uint64_t
n_parked(void)
{
	weft_metric m[64];
	size_t n = weft_metrics_read(m, 64);

	for (size_t i = 0; i < n && i < 64; i++)
		if (strcmp(m[i].name, "/sched/goroutines/waiting:goroutines") == 0)
			return m[i].value;
	abort();
}

int
main(int argc, char **argv)
{
	weft_chan *c = weft_chan_new(0, 0), *held = weft_chan_new(0, 0);

	weft_gomaxprocs(4);
	if (argc > 1)
		bug = argv[1];
	for (int i = 0; i < 20; i++)
		weft_waitgroup_go(&group, use_memory, c);
	for (int i = 0; i < 20; i++)
		weft_chan_send(c, NULL, WEFT_FOREVER);
	while (weft_waitgroup_wait(&group, weft_in(1000000)) != 0)
		(void)weft_chan_send(c, NULL, WEFT_NOW);
	for (int i = 0; i < 20; i++)
		weft_go(hold_memory, held);
	for (int i = 0; i < 20; i++)
		weft_chan_recv(held, NULL, WEFT_FOREVER);
	while (n_parked() < 20)
		weft_yield();
	for (int i = 0; i < 4; i++)
		weft_go(come_and_go, NULL);
	weft_sleep(1000000);
	weft_chan_unref(c);
	return 0;
}
