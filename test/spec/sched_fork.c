/*
 * Processes made by the program itself. In a child of fork(2) whatever enters the runtime says by
 * name that it may not, instead of waiting for threads that do not exist there; and what makes a
 * process and runs another program in it works in goroutines as anywhere.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

extern char **environ;

/* Made before the fork. The locks are held, the semaphore has no permits. */
static weft_mutex mutex;
static weft_rwmutex rwmutex;
static weft_cond cond;
static weft_waitgroup waitgroup;
static weft_sem sem;
static weft_chan *chan;
static weft_timer *timer;
static weft_scope *scope;
static int ends[2];
static char byte;

static void
nothing(void *arg)
{
	(void)arg;
}

static int
nothing_in_scope(void *arg)
{
	(void)arg;
	return 0;
}

static void call_go(void) { weft_go(nothing, NULL); }
static void call_yield(void) { weft_yield(); }
static void call_sleep(void) { weft_sleep(MS); }
static void call_gomaxprocs(void) { weft_gomaxprocs(1); }
static void call_goid(void) { printf("%lu", (unsigned long)weft_goid()); }
static void call_lock_thread(void) { weft_lock_thread(); }
static void call_chan_send(void) { weft_chan_send(chan, &byte, WEFT_FOREVER); }
static void call_chan_recv(void) { weft_chan_recv(NULL, NULL, WEFT_FOREVER); }
static void call_chan_close(void) { weft_chan_close(chan); }
static void call_mutex_lock(void) { weft_mutex_lock(&mutex); }
static void call_rwmutex_lock(void) { weft_rwmutex_lock(&rwmutex); }
static void call_rwmutex_rlock(void) { weft_rwmutex_rlock(&rwmutex); }
static void call_cond_wait(void) { weft_cond_wait(&cond, &mutex, WEFT_FOREVER); }
static void call_waitgroup_wait(void) { weft_waitgroup_wait(&waitgroup, WEFT_FOREVER); }
static void call_sem_acquire(void) { weft_sem_acquire(&sem, 1, WEFT_FOREVER); }
static void call_timer_new(void) { weft_timer_new(weft_in(MS), 0, NULL, NULL); }
static void call_timer_stop(void) { weft_timer_stop(timer); }
static void call_scope_new(void) { weft_scope_new(NULL, WEFT_FOREVER); }
static void call_scope_go(void) { weft_scope_go(scope, nothing_in_scope, NULL); }
static void call_scope_cancel(void) { weft_scope_cancel(scope, -1); }
static void call_scope_wait(void) { weft_scope_wait(scope, WEFT_FOREVER); }
static void call_read(void) { weft_read(ends[0], &byte, 1, WEFT_FOREVER); }
static void call_write(void) { weft_write(ends[1], &byte, 1, WEFT_FOREVER); }
static void call_close(void) { weft_close(ends[0]); }
static void call_listen(void) { weft_listen("tcp", "127.0.0.1:0", 0); }
static void call_dial(void) { weft_dial("tcp", "127.0.0.1:1", WEFT_FOREVER); }
static void call_dump(void) { weft_dump(2); }

static const struct entry {
	const char *name;
	void (*call)(void);
} entries[] = {
    {"weft_go", call_go},
    {"weft_yield", call_yield},
    {"weft_sleep", call_sleep},
    {"weft_gomaxprocs", call_gomaxprocs},
    {"weft_goid", call_goid},
    {"weft_lock_thread", call_lock_thread},
    {"weft_chan_send", call_chan_send},
    {"weft_chan_recv", call_chan_recv},
    {"weft_chan_close", call_chan_close},
    {"weft_mutex_lock", call_mutex_lock},
    {"weft_rwmutex_lock", call_rwmutex_lock},
    {"weft_rwmutex_rlock", call_rwmutex_rlock},
    {"weft_cond_wait", call_cond_wait},
    {"weft_waitgroup_wait", call_waitgroup_wait},
    {"weft_sem_acquire", call_sem_acquire},
    {"weft_timer_new", call_timer_new},
    {"weft_timer_stop", call_timer_stop},
    {"weft_scope_new", call_scope_new},
    {"weft_scope_go", call_scope_go},
    {"weft_scope_cancel", call_scope_cancel},
    {"weft_scope_wait", call_scope_wait},
    {"weft_read", call_read},
    {"weft_write", call_write},
    {"weft_close", call_close},
    {"weft_listen", call_listen},
    {"weft_dial", call_dial},
    {"weft_dump", call_dump},
};

static void
make_things(void)
{
	weft_mutex_lock(&mutex);
	weft_rwmutex_lock(&rwmutex);
	weft_waitgroup_add(&waitgroup, 1);
	chan = weft_chan_new(1, 0);
	timer = weft_timer_new(weft_in(1000 * 1000 * MS), 0, NULL, NULL);
	scope = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT(chan != NULL && timer != NULL && scope != NULL);
	EXPECT_EQ(pipe(ends), 0);
}

static void
call_in_a_fork(void *which)
{
	pid_t pid;
	int status;

	make_things();
	pid = fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		alarm(10);
		entries[(size_t)(uintptr_t)which].call();
		_exit(0);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	fprintf(stderr, "signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* What only takes memory or reads a word (weft_chan_new, a free lock) does no harm there. */
TEST(all_that_enters_the_runtime_is_refused_by_name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct child_result r = child_run(call_in_a_fork, (void *)i);
		char frame[64];

		/* Only how it begins: an optimised weft_dial() is a jump to weft_dial_with(). */
		snprintf(frame, sizeof(frame), "\n%s", entries[i].name);
		EXPECT_CONTAINS(r.err, "weft: called in a child of fork(2)\n");
		EXPECT_CONTAINS(r.err, frame);
		EXPECT_CONTAINS(r.err, "signal 6\n");
		child_result_free(&r);
	}
}

/* ---- Other programs ---- */

static void
expect_success(pid_t pid)
{
	int status;

	EXPECT(pid > 0);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

static char name[] = "true", *argv[] = {name, NULL};

/* Not inlined: the child shares the caller's frame. */
static __attribute__((noinline)) pid_t
by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/true", argv);
		_exit(9);
	}
	return pid;
}

static void
start_programs(void *arg)
{
	weft_waitgroup *all = arg;
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		expect_success(by_vfork());
		weft_yield();
		EXPECT_EQ(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ), 0);
		expect_success(pid);
		weft_yield();
		EXPECT_EQ(system("exit 3"), 3 << 8);
		weft_yield();
	}
	weft_waitgroup_done(all);
}

/* Several at a time, and all of them block their threads, so that these lose their processors. */
TEST(goroutines_start_programs_by_vfork_posix_spawn_and_system)
{
	weft_waitgroup all = {0};
	int n = 8;

	weft_gomaxprocs(2);
	weft_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_go(start_programs, &all), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
}
