/*
 * Goroutines and kernel threads: calls that block without weft's knowledge, endless loops, threads
 * that weft did not start, fork.
 *
 * ctest: nomembarrier
 */
#define _GNU_SOURCE
#include "sched_util.h"

#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int64_t
limit(int64_t ns)
{
	return ns * test_scale();
}

static int
tid(void)
{
	return (int)syscall(SYS_gettid);
}

/* Other goroutines get on while every P's thread is stuck: ticks of 1 ms for 100 ms. */
static void
expect_others_run(void)
{
	int64_t worst = 0;

	for (int i = 0; i < 50; i++) {
		int64_t due = weft_in(MS), late;

		weft_sleep(MS);
		late = weft_now() - due;
		if (late > worst)
			worst = late;
	}
	/* Not a benchmark: a thread that stops others would do so for seconds. */
	if (worst > limit(1000 * MS))
		FAIL("a 1 ms sleep took %lld ms", (long long)(worst / MS));
}

static void
in_usleep(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		usleep(300000);
	atomic_fetch_add(&count, 1);
}

static int pipe_fds[2];

static void
in_read(void *arg)
{
	char c;

	(void)arg;
	EXPECT_EQ(read(pipe_fds[0], &c, 1), 1);
	atomic_fetch_add(&count, 1);
}

static char lock_path[64];

static void
in_flock(void *arg)
{
	int fd = open(lock_path, O_RDWR);

	(void)arg;
	EXPECT(fd >= 0);
	EXPECT_EQ(flock(fd, LOCK_EX), 0);
	close(fd);
	atomic_fetch_add(&count, 1);
}

static pthread_mutex_t foreign_mutex = PTHREAD_MUTEX_INITIALIZER;

static void
in_pthread_mutex(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&foreign_mutex);
	pthread_mutex_unlock(&foreign_mutex);
	atomic_fetch_add(&count, 1);
}

/* SCENARIOS 91 and the mission: a goroutine that blocks in the kernel stops nobody. */
TEST(raw_blocking_calls_stop_nobody)
{
	int fd;

	EXPECT_EQ(pipe(pipe_fds), 0);
	snprintf(lock_path, sizeof(lock_path), "/tmp/weft-flock-%d", (int)getpid());
	fd = open(lock_path, O_RDWR | O_CREAT, 0600);
	EXPECT(fd >= 0);
	EXPECT_EQ(flock(fd, LOCK_EX), 0);
	pthread_mutex_lock(&foreign_mutex);

	for (int i = 0; i < 25; i++) {
		weft_go(in_usleep, NULL);
		weft_go(in_read, NULL);
		weft_go(in_flock, NULL);
		weft_go(in_pthread_mutex, NULL);
	}
	expect_others_run();
	EXPECT_EQ(atomic_load(&count), 0);

	atomic_store(&stop, true);
	EXPECT_EQ(write(pipe_fds[1], "twenty-five bytes go here", 25), 25);
	close(fd);
	pthread_mutex_unlock(&foreign_mutex);
	wait_for(100);
	unlink(lock_path);
}

/* SCENARIOS 60: endless loops without a call. Go preempts them; weft lets the kernel do it. */
static void
hog(void *arg)
{
	volatile long *n = arg;

	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		(*n)++;
	atomic_fetch_add(&count, 1);
}

TEST(endless_loops_stop_nobody)
{
	static long n[4];

	weft_gomaxprocs(2);
	for (int i = 0; i < 4; i++)
		weft_go(hog, &n[i]);
	expect_others_run();
	atomic_store(&stop, true);
	wait_for(4);
	for (int i = 0; i < 4; i++)
		EXPECT(n[i] > 0);
}

/*
 * Without privilege a lowered priority can't be raised again: the goroutine goes on on another
 * thread, and the slow one ends.
 */
static void
hog_then_look(void *arg)
{
	volatile long n = 0;
	int before = tid(), after;

	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		n++;
	weft_yield();
	after = tid();
	fprintf(stderr, "nice %d, moved %d\n", getpriority(PRIO_PROCESS, (id_t)after),
	    before != after);
	atomic_fetch_add(&count, 1);
}

static void
hogs_of_nobody(void *arg)
{
	(void)arg;
	if (setgid(65534) != 0 || setuid(65534) != 0)
		return;
	weft_gomaxprocs(2);
	for (int i = 0; i < 4; i++)
		weft_go(hog_then_look, NULL);
	for (int i = 0; i < 50; i++)
		weft_sleep(4 * MS);
	atomic_store(&stop, true);
	wait_for(4);
}

TEST(hogs_without_privilege_change_threads)
{
	struct child_result r;

	if (geteuid() != 0)
		SKIP("needs root, to drop it");
	r = child_run(hogs_of_nobody, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, "nice 0, moved 1");
	EXPECT(strstr(r.err, "nice 5") == NULL);
	child_result_free(&r);
}

/* Computes again and again, on its own thread, which loses its P each time, as main has to run. */
static void
locked_hog(void *arg)
{
	(void)arg;
	weft_lock_thread();
	for (int i = 0; i < 5; i++) {
		int64_t end = weft_in(60 * MS);

		/* Without a call of weft. */
		for (struct timespec t = { 0, 0 }; t.tv_sec * 1000 * MS + t.tv_nsec < end;)
			clock_gettime(CLOCK_MONOTONIC, &t);
		weft_sleep(2 * MS);
	}
	fprintf(stderr, "nice %d\n", getpriority(PRIO_PROCESS, (id_t)tid()));
	weft_unlock_thread();
	atomic_fetch_add(&count, 1);
}

static void
locked_hog_of_nobody(void *arg)
{
	(void)arg;
	if (setgid(65534) != 0 || setuid(65534) != 0)
		return;
	weft_lock_thread();	/* main keeps the first thread, which is never slowed down */
	weft_gomaxprocs(1);
	weft_go(locked_hog, NULL);
	wait_for(1);
}

/* It does not get slower each time, down to where it never runs. */
TEST(a_locked_hog_without_privilege_is_slowed_down_once)
{
	struct child_result r;

	if (geteuid() != 0)
		SKIP("needs root, to drop it");
	r = child_run(locked_hog_of_nobody, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, "nice 5\n");
	child_result_free(&r);
}

/* A loop that does call weft but never waits is outside most of the time: its P is taken then. */
static void
polling_hog(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		(void)weft_goid();
	atomic_fetch_add(&count, 1);
}

TEST(loops_of_calls_that_never_wait_stop_nobody)
{
	weft_gomaxprocs(1);
	weft_go(polling_hog, NULL);
	weft_go(polling_hog, NULL);
	expect_others_run();
	atomic_store(&stop, true);
	wait_for(2);
}

/* SCENARIOS 71: goroutines in and out of short marked calls all see the flag. */
static void
short_syscalls(void *arg)
{
	struct timespec ts = { 0, (long)(intptr_t)arg * 1000 };

	while (!atomic_load(&stop)) {
		weft_syscall_enter();
		nanosleep(&ts, NULL);
		weft_syscall_exit();
	}
	atomic_fetch_add(&count, 1);
}

TEST(marked_calls_come_and_go)
{
	weft_gomaxprocs(2);
	for (int us = 10; us <= 1000; us *= 10) {
		atomic_store(&stop, false);
		atomic_store(&count, 0);
		for (int i = 0; i < 8; i++)
			weft_go(short_syscalls, (void *)(intptr_t)us);
		weft_sleep(20 * MS);
		atomic_store(&stop, true);
		wait_for(8);
	}
}

/*
 * A thread that weft did not start waits in a channel and ends; its record then serves a new
 * thread. Once its note was left set, and a P got lost (src/sched/README.md, "States of an M").
 */
static weft_chan *requests, *answers;

static void *
foreign(void *arg)
{
	long n = (long)(intptr_t)arg, r = 0;

	for (long i = 0; i < n; i++) {
		EXPECT_EQ(weft_chan_send(requests, &i, WEFT_FOREVER), 0);
		EXPECT_EQ(weft_chan_recv(answers, &r, WEFT_FOREVER), 1);
		EXPECT_EQ(r, i + 1);
	}
	EXPECT_EQ(weft_chan_recv(answers, &r, weft_in(MS)), -ETIMEDOUT);
	EXPECT(weft_goid() > 1);
	return NULL;
}

static void
answer(void *arg)
{
	long v;

	(void)arg;
	while (weft_chan_recv(requests, &v, WEFT_FOREVER) == 1) {
		v++;
		weft_chan_send(answers, &v, WEFT_FOREVER);
	}
	atomic_fetch_add(&count, 1);
}

static void
block_for_a_while(void *arg)
{
	(void)arg;
	usleep(20000);
	atomic_fetch_add(&count, 1);
}

TEST(note_is_clear_when_an_m_is_reused)
{
	requests = weft_chan_new(sizeof(long), 0);
	answers = weft_chan_new(sizeof(long), 0);
	weft_gomaxprocs(1);
	weft_go(answer, NULL);
	for (int round = 0; round < 5; round++) {
		pthread_t t;
		struct timespec pause = { 0, 1000000 };
		int r;

		pthread_create(&t, NULL, foreign, (void *)(intptr_t)200);
		while ((r = pthread_tryjoin_np(t, NULL)) == EBUSY) {
			weft_sleep(MS);
			nanosleep(&pause, NULL);
		}
		EXPECT_EQ(r, 0);
		/* New threads are needed now, and take the record over. */
		atomic_store(&count, 0);
		for (int i = 0; i < 20; i++)
			weft_go(block_for_a_while, NULL);
		wait_for(20);
	}
	atomic_store(&count, 0);
	weft_chan_close(requests);
	wait_for(1);
	weft_chan_unref(requests);
	weft_chan_unref(answers);
}

/* SCENARIOS 90: goroutines that wait in weft_read need no thread each. */
static void
wait_in_read(void *arg)
{
	char c;

	EXPECT_EQ(weft_read((int)(intptr_t)arg, &c, 1, WEFT_FOREVER), 1);
	atomic_fetch_add(&count, 1);
}

TEST(waiting_in_pipes_needs_no_threads)
{
	int fds[100][2];

	weft_set_maxthreads(50);
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(pipe(fds[i]), 0);
		weft_go(wait_in_read, (void *)(intptr_t)fds[i][0]);
	}
	weft_sleep(20 * MS);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_write(fds[i][1], "x", 1, WEFT_FOREVER), 1);
	wait_for(100);
	for (int i = 0; i < 100; i++) {
		weft_close(fds[i][0]);
		weft_close(fds[i][1]);
	}
}

/* Too many threads is fatal, with Go's words and the number. */
static void
blocks_for_ever(void *arg)
{
	(void)arg;
	usleep(5000000);
}

static void
exceed_the_thread_limit(void *arg)
{
	(void)arg;
	weft_set_maxthreads(10);
	for (int i = 0; i < 30; i++)
		weft_go(blocks_for_ever, NULL);
	weft_sleep(4000 * MS);
}

TEST(too_many_threads_is_fatal)
{
	struct child_result r = child_run(exceed_the_thread_limit, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "thread exhaustion");
	EXPECT_CONTAINS(r.err, "runtime: program exceeds 10-thread limit");
	child_result_free(&r);
}

/* fork: the child may exec or end; any other weft call says so by name. */
static void *
fork_and_call(void *arg)
{
	int status;

	(void)arg;
	if (fork() == 0) {
		weft_yield();
		_exit(0);
	}
	waitpid(-1, &status, 0);
	fprintf(stderr, "signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return NULL;
}

static void
call_weft_after_fork(void *arg)
{
	weft_yield();
	fork_and_call(arg);
}

/* The thread that forks has not called weft itself. */
static void
a_stranger_forks(void *arg)
{
	pthread_t thread;

	weft_yield();
	if (pthread_create(&thread, NULL, fork_and_call, arg) == 0)
		pthread_join(thread, NULL);
}

TEST(a_forked_child_may_not_call_weft)
{
	static void (*const cases[])(void *) = { call_weft_after_fork, a_stranger_forks };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child_result r = child_run(cases[i], NULL);

		EXPECT_CONTAINS(r.err, "child of fork");
		EXPECT_CONTAINS(r.err, "weft_yield(...)");
		EXPECT_CONTAINS(r.err, "signal 6");
		child_result_free(&r);
	}
}

TEST(a_forked_child_may_exec)
{
	pid_t pid;
	int status;
	char name[] = "true", *argv[] = { name, NULL };

	weft_yield();
	pid = fork();
	if (pid == 0) {
		execv("/bin/true", argv);
		_exit(9);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ), 0);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

/*
 * SCENARIOS 77: an idle process makes no system call: its threads do not even switch, and what
 * each of them sleeps in will not end for seconds.
 */
static long
switches(void)
{
	long sum = 0;
	char path[128], line[128];

	/* Threads are few: look at the ids around our own. */
	for (int t = (int)getpid(); t < (int)getpid() + 200; t++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%d/status", t);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		while (fgets(line, sizeof(line), f) != NULL)
			if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
				sum += atol(line + 24);
		fclose(f);
	}
	return sum;
}

/* For how long a thread will sleep in the kernel: ns, INT64_MAX until it is woken, 0 unknown. */
static int64_t
will_sleep(const char *tid)
{
	unsigned long arg[4];
	struct timespec ts, now;
	char path[64], line[256];
	FILE *f;
	long nr;
	int fd, n;

	snprintf(path, sizeof(path), "/proc/self/task/%s/syscall", tid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	n = fgets(line, sizeof(line), f) == NULL ? 0 : sscanf(line, "%ld %lx %lx %lx %lx", &nr,
	    &arg[0], &arg[1], &arg[2], &arg[3]);
	fclose(f);
	if (n != 5)
		return 0;
	if (nr != SYS_futex && nr != 441 /* epoll_pwait2 */)	/* epoll_wait: milliseconds */
		return (int)arg[3] < 0 ? INT64_MAX : (int)arg[3] * MS;
	if (arg[3] == 0)
		return INT64_MAX;
	/* Not by the pointer: the thread may end just now, and its stack with it. */
	fd = open("/proc/self/mem", O_RDONLY);
	n = (int)pread(fd, &ts, sizeof(ts), (off_t)arg[3]);
	close(fd);
	if (n != (int)sizeof(ts))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (nr == SYS_futex) {	/* absolute */
		ts.tv_sec -= now.tv_sec;
		ts.tv_nsec -= now.tv_nsec;
	}
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

/* Do all threads but this one sleep for two seconds more, unless they are woken? */
static bool
all_sleep_on(void)
{
	struct dirent *e;
	bool do_all = true;
	DIR *d = opendir("/proc/self/task");

	EXPECT(d != NULL);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && atol(e->d_name) != syscall(SYS_gettid) &&
		    will_sleep(e->d_name) < 2000 * MS)
			do_all = false;
	closedir(d);
	return do_all;
}

static void *
look_twice(void *arg)
{
	struct timespec second = { 1, 500000000 }, moment = { 0, 50000000 };
	int tries = 1200;
	long before;

	/* Catalogue 66: the one that waits is broken out of its wait, once each time. */
	for (int i = 0; i < 3; i++) {
		nanosleep(&moment, NULL);
		weft_timer_free(weft_timer_new(weft_in(MS), 0, NULL, NULL));
	}
	nanosleep(&second, NULL);
	before = switches();
	nanosleep(&second, NULL);
	*(long *)arg = switches() - before;
	/* That was a second; what they wait for says how it goes on. A minute to get there. */
	while (!all_sleep_on() && --tries > 0)
		nanosleep(&moment, NULL);
	EXPECT(tries > 0);
	atomic_store(&stop, true);
	return NULL;
}

static void
sleep_an_hour(void *arg)
{
	(void)arg;
	weft_sleep(3600000 * MS);
}

TEST(an_idle_process_does_nothing)
{
	pthread_t t;
	long n = -1;

	if (test_scale() > 1)
		SKIP("sanitizers have threads of their own");
	weft_go(sleep_an_hour, NULL);
	/* A plain thread watches, and calls weft no more. */
	pthread_create(&t, NULL, look_twice, &n);
	while (!atomic_load(&stop))
		weft_sleep(4000 * MS);
	pthread_join(t, NULL);
	/* The watcher's own sleep is one switch. */
	if (n > 3)
		FAIL("%ld switches in 1.5 s of idleness", n);
}

/*
 * SCENARIOS 94: exec in the midst of detaches. In Go a signal that is on its way to preempt a
 * thread once killed the new program; weft sends none, and leaves no mask or timer behind.
 */
static void
exec_amid_detaches(void *arg)
{
	static long n[4];
	char name[] = "true", *argv[] = { name, NULL };

	(void)arg;
	weft_gomaxprocs(2);
	for (int i = 0; i < 4; i++)
		weft_go(hog, &n[i]);
	weft_sleep(5 * MS);
	execv("/bin/true", argv);
	_exit(9);
}

TEST(exec_amid_detaches_is_clean)
{
	for (int i = 0; i < 20; i++) {
		struct child_result r = child_run(exec_amid_detaches, NULL);

		EXPECT_EQ(r.signal, 0);
		EXPECT_EQ(r.status, 0);
		child_result_free(&r);
	}
}

/*
 * Who keeps a thread for itself, and since when, is named in the dump: without it a program that
 * makes threads by the hundred can't be understood.
 */
static void
dump_beside_detached(void *arg)
{
	static long n;
	weft_go_options o = { .size = sizeof(o), .name = "blocker" };

	(void)arg;
	weft_gomaxprocs(1);
	weft_go_with(&o, in_usleep, NULL);
	o.name = "computer";
	weft_go_with(&o, hog, &n);
	for (int i = 0; i < 50; i++)
		weft_sleep(MS);
	weft_dump(2);
	_exit(0);
}

/* The header with this end begins as that of a goroutine that runs on without a P. */
static void
expect_detached(const struct child_result *r, const char *name)
{
	const char *at = strstr(r->err, name);

	if (at == NULL)
		FAIL("no %s: status %d, signal %d: %s", name, r->status, r->signal, r->err);
	while (*at != '[')
		at--;
	EXPECT(strncmp(at, "[running, detached ", 19) == 0);
}

TEST(detached_goroutines_are_named_in_the_dump)
{
	bool is_told_why = false;

	/*
	 * A monitor that is late takes who sleeps for busy, and on a busy machine others lose a P,
	 * too: then again.
	 */
	for (int i = 0; i < 40 && !is_told_why; i++) {
		const char *envs[] = { "WEFT_DEBUG=schedtrace=20,scheddetail=1", NULL };
		struct child_options o = { .env = envs };
		struct child_result r = child_run_with(&o, dump_beside_detached, NULL);

		expect_detached(&r, ", \"blocker\"]:\n");
		expect_detached(&r, ", \"computer\"]:\n");
		EXPECT_CONTAINS(r.err, " detachedms=");
		is_told_why = strstr(r.err, " detachblocked=1") != NULL &&
		    strstr(r.err, " detachcomputing=1") != NULL;
		child_result_free(&r);
	}
	EXPECT(is_told_why);
}
