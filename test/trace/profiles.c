/*
 * A program with something in each profile: `profiles DIRECTORY` writes them there. Its functions
 * are named for what a profile must say of them.
 */
#include <weft.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define PARKED 7

static weft_chan *gate, *slow;
static weft_mutex mutex;
static weft_waitgroup wg;

static void
parked_in_channel(void *arg)
{
	(void)arg;
	(void)weft_chan_recv(gate, NULL, WEFT_FOREVER);
	weft_waitgroup_done(&wg);
}

static void
waits_for_slow_channel(void *arg)
{
	(void)arg;
	(void)weft_chan_recv(slow, NULL, WEFT_FOREVER);
	weft_waitgroup_done(&wg);
}

static void
waits_for_mutex(void *arg)
{
	(void)arg;
	weft_mutex_lock(&mutex);
	weft_mutex_unlock(&mutex);
	weft_waitgroup_done(&wg);
}

/* Until so many have waited for 20 ms. */
static void
await_blocked(int n)
{
	while (weft_dump_blocked(-1, 20 * MS) != n)
		weft_sleep(1 * MS);
}

static void
start(void (*fn)(void *), const char *name)
{
	weft_go_options o = { .size = sizeof(o), .name = name };

	weft_waitgroup_add(&wg, 1);
	if (weft_go_with(&o, fn, NULL) < 0)
		abort();
}

static void
label(const char *key, const char *value)
{
	if (weft_label_set(key, value) != 0)
		abort();
}

static int
file(const char *directory, const char *name)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		abort();
	return fd;
}

/* Nearly all of the time of the process, until it has used so much. */
static void
computes_and_computes(void *arg)
{
	struct timespec used;

	(void)arg;
	do {
		for (volatile int i = 0; i < 1000000; i++)
			continue;
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_sec == 0 && used.tv_nsec < 500 * MS);
	weft_waitgroup_done(&wg);
}

int
main(int argc, char **argv)
{
	static const char *const names[] = { "goroutine", "block", "mutex" };

	if (argc != 2)
		return 2;
	if (weft_profile_cpu_stop(-1) != -ESRCH || weft_profile_cpu_start(0) != 0 ||
	    weft_profile_cpu_start(0) != -EBUSY)
		return 1;
	label("request", "page 17");
	start(computes_and_computes, "hog");
	label("request", NULL);
	(void)weft_waitgroup_wait(&wg, WEFT_FOREVER);
	if (weft_profile_cpu_stop(file(argv[1], "cpu")) != 0)
		return 1;
	/* Whose signal it is, is looked at each time. */
	signal(SIGPROF, SIG_IGN);
	if (weft_profile_cpu_start(0) != -EBUSY)
		return 1;
	signal(SIGPROF, SIG_DFL);
	if (weft_profile_cpu_start(0) != 0 || raise(SIGPROF) != 0)
		return 1;
	(void)weft_profile_cpu_stop(-1);
	gate = weft_chan_new(0, 0);
	slow = weft_chan_new(0, 0);
	weft_profile_block_rate(1);
	if (weft_profile_mutex_fraction(1) != 0)
		return 1;
	for (int i = 0; i < PARKED; i++) {
		label("tenant", i < 3 ? "blue & green" : NULL);
		start(parked_in_channel, i < 2 ? "one of two" : NULL);
	}
	start(waits_for_slow_channel, NULL);
	weft_mutex_lock(&mutex);
	start(waits_for_mutex, NULL);
	await_blocked(PARKED + 2);
	(void)weft_chan_send(slow, NULL, WEFT_FOREVER);
	weft_mutex_unlock(&mutex);
	while (weft_numgoroutine() != PARKED + 1)
		weft_sleep(1 * MS);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = file(argv[1], names[i]);

		if (weft_profile_write(names[i], fd) != 0)
			return 1;
		close(fd);
	}
	if (weft_profile_leak(file(argv[1], "leak"), 20 * MS) != 0 ||
	    weft_profile_write("leak", file(argv[1], "young")) != 0)
		return 1;
	weft_chan_close(gate);
	(void)weft_waitgroup_wait(&wg, WEFT_FOREVER);
	weft_chan_unref(gate);
	weft_chan_unref(slow);
	return 0;
}
