/*
 * A program for gdb to look at: goroutines that wait for known things, and one that runs. Ends by
 * itself ten minutes after it said "ready"; with the argument "abort" by that, in a goroutine.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static weft_mutex mutex;
static weft_waitgroup group;
static weft_sem sem;
static weft_once once;

__attribute__((noinline)) static void
receive_here(weft_chan *c)
{
	weft_chan_recv(c, NULL, WEFT_FOREVER);
	__asm__ volatile("");
}

__attribute__((noinline)) static void
deeper(weft_chan *c, int depth)
{
	if (depth > 0)
		deeper(c, depth - 1);
	else
		receive_here(c);
	__asm__ volatile("");
}

static void
receiver(void *arg)
{
	deeper(arg, 3);
}

static void
chooser(void *arg)
{
	weft_case cases[] = {WEFT_RECV(arg, NULL), WEFT_SEND(arg, NULL)};

	weft_select(cases, 2, WEFT_FOREVER);
}

static void
locker(void *arg)
{
	weft_mutex_lock(arg);
}

__attribute__((noinline)) static void
look_here(weft_chan *empty, weft_chan *full)
{
	printf("ready %p %p\n", (void *)empty, (void *)full);
	fflush(stdout);
}

__attribute__((noinline)) static void
abort_here(void *arg)
{
	(void)arg;
	abort();
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* Has everyone else come to wait? */
static int
is_settled(int n)
{
	return weft_dump_blocked(-1, 0) >= n;
}

/* main() waits as well, for the first time and for no channel. */
static void
sleep_too(weft_chan *c)
{
	weft_go(receiver, c);
	while (!is_settled(1))
		weft_yield();
	printf("ready\n");
	fflush(stdout);
	weft_sleep(INT64_C(600000000000));
}

int
main(int argc, char **argv)
{
	weft_chan *empty = weft_chan_new(4, 0), *full = weft_chan_new(8, 2);
	weft_chan *other = weft_chan_new(0, 0);
	weft_go_options named = {.size = sizeof(named), .name = "receiver"};
	long value = 7;

	if (argc > 1 && strcmp(argv[1], "sleep") == 0)
		sleep_too(empty);
	weft_mutex_lock(&mutex);
	weft_waitgroup_add(&group, 3);
	weft_sem_init(&sem, 5);
	(void)weft_sem_tryacquire(&sem, 2);
	weft_once_do(&once, nothing, NULL);
	weft_chan_send(full, &value, WEFT_FOREVER);
	weft_label_set("request", "17");
	weft_label_set("by", "a b");
	weft_go_with(&named, receiver, empty);
	weft_label_set("by", NULL);
	weft_go(chooser, other);
	weft_label_set("request", NULL);
	weft_go(locker, &mutex);
	while (!is_settled(3))
		weft_sleep(1000000);
	look_here(empty, full);
	if (argc > 1) {
		weft_go(abort_here, NULL);
		weft_sleep(INT64_C(600000000000));
	}
	sleep(600);
	return 0;
}
