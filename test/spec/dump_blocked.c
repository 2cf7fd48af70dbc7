/*
 * Reports on goroutines that count: as many stacks as there are goroutines, and those that have
 * been blocked for long, and no others.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

static weft_chan *gate;
static weft_waitgroup all;	/* numgoroutine tells how many there are and orders nothing */
static atomic_int n_there;
static int pipe_fds[2];

/* What a report writes, as text to be freed. */
static char *
text_of(int (*report)(int fd, int64_t ns), int64_t ns, int *ret_n)
{
	int fd = memfd_create("report", MFD_CLOEXEC);
	off_t size;
	char *text;

	EXPECT(fd >= 0);
	*ret_n = report(fd, ns);
	size = lseek(fd, 0, SEEK_END);
	text = malloc((size_t)size + 1);
	EXPECT_EQ(pread(fd, text, (size_t)size, 0), size);
	text[size] = '\0';
	close(fd);
	return text;
}

static int
dump_all(int fd, int64_t ns)
{
	(void)ns;
	weft_dump(fd);
	return 0;
}

static int
headers(const char *text)
{
	int n = 0;

	for (const char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n'), p += p != NULL)
		n += strncmp(p, "goroutine ", 10) == 0;
	return n;
}

static void
wait_in_channel(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_there, 1);
	(void)weft_chan_recv(gate, NULL, WEFT_FOREVER);
	weft_waitgroup_done(&all);
}

static void
yield_in_circles(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_there, 1);
	while (weft_chan_recv(gate, NULL, WEFT_NOW) < 0)
		weft_yield();
	weft_waitgroup_done(&all);
}

/* SCENARIOS 64: a goroutine that no dump shows can't be looked for. */
TEST(the_dump_shows_as_many_as_there_are)
{
	int n = 0, shown = -1;

	gate = weft_chan_new(0, 0);
	weft_gomaxprocs(4);
	weft_waitgroup_add(&all, 100);
	for (int i = 0; i < 100; i++)
		weft_go(i % 3 == 0 ? yield_in_circles : wait_in_channel, NULL);
	while (atomic_load(&n_there) < 100)
		weft_yield();
	EXPECT_EQ(weft_numgoroutine(), 101);
	/* Those that run are met in passing: again, should one have been missed in between. */
	for (int i = 0; i < 20 && shown != 101; i++) {
		char *text = text_of(dump_all, 0, &n);

		shown = headers(text);
		free(text);
	}
	EXPECT_EQ(shown, weft_numgoroutine());
	weft_chan_close(gate);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	weft_chan_unref(gate);
}

static void
wait_for_mutex(void *m)
{
	atomic_fetch_add(&n_there, 1);
	weft_mutex_lock(m);
	weft_mutex_unlock(m);
	weft_waitgroup_done(&all);
}

static void
stuck_in_read(void *arg)
{
	char c;

	(void)arg;
	atomic_fetch_add(&n_there, 1);
	EXPECT_EQ(read(pipe_fds[0], &c, 1), 1);
	weft_waitgroup_done(&all);
}

static void
compute(void *stop)
{
	atomic_fetch_add(&n_there, 1);
	while (!atomic_load((atomic_bool *)stop))
		;
	weft_waitgroup_done(&all);
}

static void
go_named(const char *name, void (*fn)(void *), void *arg)
{
	weft_go_options o = { .size = sizeof(o), .name = name };

	weft_waitgroup_add(&all, 1);
	EXPECT_EQ(weft_go_with(&o, fn, arg), 0);
}

static void *
wait_on_a_plain_thread(void *arg)
{
	atomic_fetch_add(&n_there, 1);
	(void)weft_chan_recv(gate, NULL, WEFT_FOREVER);
	return arg;
}

/* What a goroutine is, and its stack. */
static void
expect_entry(const char *text, const char *name, const char *state, const char *function)
{
	const char *at, *end;
	char entry[4096];

	snprintf(entry, sizeof(entry), ", \"%s\"]:\n", name);
	at = strstr(text, entry);
	if (at == NULL)
		FAIL("no \"%s\" in\n%s", name, text);
	while (*at != '[')
		at--;
	EXPECT(strncmp(at + 1, state, strlen(state)) == 0);
	end = strstr(at, "\n\n");
	snprintf(entry, sizeof(entry), "%.*s", end != NULL ? (int)(end - at) : 4000, at);
	EXPECT_CONTAINS(entry, function);
}

/* Those that are blocked since `when` or longer, asked for within half a second. */
static char *
blocked_since(int64_t when, int *ret_n)
{
	for (;;) {
		int64_t asked = weft_now();
		char *text = text_of(weft_dump_blocked, asked - when, ret_n);

		if (weft_now() - asked < 500 * MS)
			return text;
		free(text);
	}
}

/* Who holds up a program that is not dead? Those that wait for long, with what they wait for. */
TEST(those_that_are_blocked_for_long_are_named)
{
	static weft_mutex mutex;
	static atomic_bool stop;
	pthread_t t;
	int64_t when;
	char *text;
	int n;

	gate = weft_chan_new(0, 0);
	weft_gomaxprocs(2);
	EXPECT_EQ(pipe(pipe_fds), 0);
	weft_mutex_lock(&mutex);
	go_named("receiver", wait_in_channel, NULL);
	go_named("locker", wait_for_mutex, &mutex);
	go_named("stuck", stuck_in_read, NULL);
	go_named("computer", compute, &stop);
	go_named("yielder", yield_in_circles, NULL);
	pthread_create(&t, NULL, wait_on_a_plain_thread, NULL);
	while (atomic_load(&n_there) < 6 || weft_dump_blocked(-1, 100 * MS) < 4)
		weft_sleep(10 * MS);
	when = weft_now();
	weft_sleep(1000 * MS);
	go_named("newcomer", wait_in_channel, NULL);
	while (atomic_load(&n_there) < 7)
		weft_sleep(MS);

	text = blocked_since(when, &n);
	EXPECT_EQ(n, 4);
	EXPECT_EQ(headers(text), 4);
	expect_entry(text, "receiver", "chan receive", "wait_in_channel");
	expect_entry(text, "locker", "sync.Mutex.Lock", "wait_for_mutex");
	expect_entry(text, "stuck", "running, detached", "stack unavailable");
	EXPECT_CONTAINS(text, " in goroutine 1\n");
	EXPECT(strstr(text, "computer") == NULL);
	EXPECT(strstr(text, "yielder") == NULL);
	EXPECT(strstr(text, "newcomer") == NULL);
	free(text);

	/* Only counted; and with no time at all the newcomer too. */
	while (weft_dump_blocked(-1, 0) < 5)
		weft_sleep(MS);
	EXPECT_EQ(weft_dump_blocked(-1, -1), 5);
	EXPECT_EQ(weft_dump_blocked(-1, 3600000 * MS), 0);

	atomic_store(&stop, true);
	weft_mutex_unlock(&mutex);
	EXPECT_EQ(write(pipe_fds[1], "x", 1), 1);
	weft_chan_close(gate);
	pthread_join(t, NULL);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_dump_blocked(-1, 0), 0);
	weft_chan_unref(gate);
}

/* A process that was idle for long has kept no time: a wait that begins then is not an old one. */
static void *
look_when_one_has_begun_to_wait(void *arg)
{
	struct timespec idle = { 1, 500000000 }, moment = { 0, 1000000 };
	int64_t began, took = INT64_MAX;
	int n = 0;

	/* A look that comes late proves nothing: again, with one more that waits. */
	for (int i = 1; took >= 1000 * MS; i++) {
		while (weft_dump_blocked(-1, 0) < i)		/* main, and those of before */
			nanosleep(&moment, NULL);
		nanosleep(&idle, NULL);
		began = weft_now();
		weft_waitgroup_add(&all, 1);
		EXPECT_EQ(weft_go(wait_in_channel, NULL), 0);
		while (atomic_load(&n_there) < i)
			;
		n = weft_dump_blocked(-1, 1000 * MS) - i;
		took = weft_now() - began;
	}
	EXPECT_EQ(n, 0);
	weft_chan_close(arg);
	return NULL;
}

TEST(idle_time_does_not_count_as_a_wait)
{
	weft_chan *done = weft_chan_new(0, 0);
	pthread_t t;

	gate = weft_chan_new(0, 0);
	pthread_create(&t, NULL, look_when_one_has_begun_to_wait, done);
	EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_FOREVER), 0);
	pthread_join(t, NULL);
	weft_chan_close(gate);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	weft_chan_unref(gate);
	weft_chan_unref(done);
}
