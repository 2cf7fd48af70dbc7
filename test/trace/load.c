/*
 * Programs to be traced: `load SHAPE` does a bounded amount of one kind of work. What there is to
 * see does not depend on how fast the machine is; how many generations it takes does.
 */
#define _GNU_SOURCE
#include <weft.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define ROUNDS 1000

static weft_waitgroup wg;
static weft_chan *there, *back;
static weft_mutex mutex;
static int pair[2];

static void
start(void (*fn)(void *), void *arg)
{
	weft_waitgroup_add(&wg, 1);
	if (weft_go(fn, arg) < 0)
		abort();
}

static void
send_rounds(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		(void)weft_chan_send(there, &i, WEFT_FOREVER);
		(void)weft_chan_recv(back, &i, WEFT_FOREVER);
		if (i % 100 == 0)
			weft_sleep(2 * MS);
	}
	weft_waitgroup_done(&wg);
}

static void
answer_rounds(void *arg)
{
	int v;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		(void)weft_chan_recv(there, &v, WEFT_FOREVER);
		(void)weft_chan_send(back, &v, WEFT_FOREVER);
	}
	weft_waitgroup_done(&wg);
}

static void
chan_shape(void)
{
	for (int i = 0; i < 4; i++) {
		start(send_rounds, NULL);
		start(answer_rounds, NULL);
	}
}

static void
select_rounds(void *arg)
{
	int v = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		weft_case cases[] = { WEFT_SEND(there, &v), WEFT_RECV(back, &v) };

		(void)weft_select(cases, 2, i % 7 == 0 ? weft_now() + MS / 10 : WEFT_FOREVER);
	}
	weft_waitgroup_done(&wg);
}

static void
select_other_side(void *arg)
{
	atomic_int *left = arg;
	int v = 0;

	while (atomic_load(left) > 0) {
		weft_case cases[] = { WEFT_RECV(there, &v), WEFT_SEND(back, &v) };

		(void)weft_select(cases, 2, weft_now() + MS);
	}
	weft_waitgroup_done(&wg);
}

static void
count_down(void *arg)
{
	select_rounds(NULL);
	atomic_fetch_sub((atomic_int *)arg, 1);
}

static void
select_shape(void)
{
	static atomic_int left = 2;

	start(count_down, &left);
	start(count_down, &left);
	start(select_other_side, &left);
}

static void
reader(void *arg)
{
	char byte;

	(void)arg;
	while (weft_read(pair[0], &byte, 1, WEFT_FOREVER) == 1)
		continue;
	weft_waitgroup_done(&wg);
}

static void
writer(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		(void)weft_write(pair[1], "x", 1, WEFT_FOREVER);
		if (i % 8 == 0)
			weft_sleep(MS / 10);
	}
	shutdown(pair[1], SHUT_WR);
	weft_waitgroup_done(&wg);
}

static void
net_shape(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	start(reader, NULL);
	start(writer, NULL);
}

/* Computes, and blocks in calls that weft knows nothing of, with others waiting for its P. */
static void
hog(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		int64_t end = weft_now() + 25 * MS;

		while (weft_now() < end)
			for (volatile int spin = 0; spin < 1000000; spin++)
				continue;
		usleep(8000);
		weft_yield();
	}
	weft_waitgroup_done(&wg);
}

static void
yields(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		weft_yield();
		if (i % 50 == 0)
			weft_sleep(MS);
	}
	weft_waitgroup_done(&wg);
}

static void
detach_shape(void)
{
	for (int i = 0; i < 3; i++)
		start(hog, NULL);
	for (int i = 0; i < 4; i++)
		start(yields, NULL);
}

static void
calls(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		weft_syscall_enter();
		usleep(i % 5 == 0 ? 3000 : 50);
		weft_syscall_exit();
		weft_yield();
	}
	weft_waitgroup_done(&wg);
}

static void
syscall_shape(void)
{
	for (int i = 0; i < 4; i++)
		start(calls, NULL);
	start(yields, NULL);
}

static void
locked(void *arg)
{
	weft_lock_thread();
	for (int i = 0; i < 100; i++) {
		weft_mutex_lock(&mutex);
		weft_yield();
		weft_mutex_unlock(&mutex);
		weft_sleep(MS / 5);
	}
	if (arg != NULL)
		weft_unlock_thread();	/* the others end their threads */
	weft_waitgroup_done(&wg);
}

static void
locked_shape(void)
{
	start(locked, NULL);
	start(locked, &wg);
	start(locked, NULL);
	start(yields, NULL);
}

static void
short_life(void *arg)
{
	(void)arg;
	weft_yield();
	weft_waitgroup_done(&wg);
}

static void *
foreign(void *arg)
{
	weft_chan *never = weft_chan_new(0, 0);

	for (int i = 0; i < 10; i++) {
		start(short_life, NULL);
		(void)weft_chan_recv(never, NULL, weft_now() + MS / 2);
		weft_mutex_lock(&mutex);
		weft_mutex_unlock(&mutex);
	}
	weft_chan_unref(never);
	return arg;
}

static void
foreign_shape(void)
{
	for (int i = 0; i < 8; i++) {
		pthread_t threads[3];

		for (int t = 0; t < 3; t++)
			if (pthread_create(&threads[t], NULL, foreign, NULL) != 0)
				abort();
		for (int t = 0; t < 3; t++)
			pthread_join(threads[t], NULL);
	}
}

static int
sleeps(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_FOREVER);
}

/* Goroutines come and go, processors too, and a scope cancels many at once. */
static void
spawn_shape(void)
{
	for (int i = 0; i < 30; i++) {
		weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

		for (int g = 0; g < 30; g++) {
			start(short_life, NULL);
			(void)weft_scope_go(scope, sleeps, NULL);
		}
		(void)weft_gomaxprocs(1 + i % 4);
		weft_sleep(MS);
		weft_scope_cancel(scope, -1);
		(void)weft_scope_wait(scope, WEFT_FOREVER);
		weft_scope_free(scope);
	}
}

static void
hears(void *gate)
{
	while (weft_chan_recv(gate, NULL, WEFT_FOREVER) > 0)
		;
	weft_waitgroup_done(&wg);
}

/* What the program says of itself. The one that is started inherits, and outlives generations. */
static void
user_shape(void)
{
	weft_chan *gate = weft_chan_new(0, 0);

	(void)weft_label_set("customer", "blue & green");
	(void)weft_label_set("order", "17");
	start(hears, gate);
	(void)weft_label_set("order", NULL);
	for (int i = 0; i < 50; i++) {
		uint64_t job = weft_trace_task_begin("order", 0);
		uint64_t part = weft_trace_task_begin("payment", job);

		weft_trace_region_begin(part, "lock and sleep");
		weft_trace_region_begin(0, "inner");
		weft_sleep(MS / 5);
		weft_trace_log(part, "customer", i % 2 == 0 ? "even" : "odd");
		weft_trace_region_end(0, "inner");
		weft_trace_region_end(part, "lock and sleep");
		weft_trace_task_end(part);
		weft_trace_task_end(job);
	}
	(void)weft_label_set("customer", NULL);
	weft_chan_send(gate, NULL, WEFT_FOREVER);
	weft_chan_close(gate);
}

/* Goroutines that nothing happens to for generations, and a thread that computes through them. */
static void
waits(void *arg)
{
	(void)weft_chan_recv(arg, NULL, WEFT_FOREVER);
	weft_waitgroup_done(&wg);
}

static void
quiet_shape(void)
{
	weft_chan *gate = weft_chan_new(0, 0);

	for (int i = 0; i < 100; i++)
		start(waits, gate);
	start(hog, NULL);
	usleep(300000);
	weft_sleep(50 * MS);
	weft_chan_close(gate);
}

static const struct shape {
	const char *name;
	void (*fn)(void);
} shapes[] = {
	{ "chan", chan_shape }, { "select", select_shape }, { "net", net_shape },
	{ "detach", detach_shape }, { "syscall", syscall_shape }, { "locked", locked_shape },
	{ "foreign", foreign_shape }, { "spawn", spawn_shape }, { "user", user_shape },
	{ "quiet", quiet_shape },
};

int
main(int argc, char **argv)
{
	there = weft_chan_new(sizeof(int), 0);
	back = weft_chan_new(sizeof(int), 0);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (argc > 1 &&
		    (strcmp(argv[1], "all") == 0 || strcmp(argv[1], shapes[i].name) == 0)) {
			shapes[i].fn();
			(void)weft_waitgroup_wait(&wg, WEFT_FOREVER);
		}
	weft_chan_unref(there);
	weft_chan_unref(back);
	return 0;
}
