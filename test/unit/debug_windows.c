/*
 * Windows of what looks on: a thread of the endpoint or tracer that is about to be there, a lint
 * that is about to ask for a stack, a process that is copied while a fake stack is freed.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "base/assert.h"
#include "child.h"
#include "hold.h"
#include "os/os.h"
#include "sched/sched.h"
#include "test.h"
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct child_options patient = { .limit_ms = 120000 };

/* In a child, before it calls weft. Whoever needs it skips other builds. */
static void
at_points(void (*fn)(const char *))
{
#ifdef WEFT_DEBUG_BUILD
	wf_point_hook = fn;
#else
	(void)fn;
#endif
}

/* ---- threads that begin ---- */

static weft_chan *chan;
static struct sockaddr_un place = { .sun_family = AF_UNIX };
static atomic_int stage;

static void
await_stage(int s)
{
	while (atomic_load(&stage) < s)
		pause_ms(1);
}

/*
 * 1: the endpoint's thread is about to make another, and waits until the detector has looked, in
 * vain; 2: that it looks again, and has counted the process's threads, 3; 4: the other is there,
 * and may count itself, if it can, before the detector goes on. (No thread of the test's looks on
 * and says when: the detector would count that one, too.)
 */
static void
hesitate(const char *name)
{
	if (strcmp(name, "serve.connects") == 0) {
		atomic_store(&stage, 1);
		while (wf_load_seqcst(&wf_sched.in_doubt) == 0)
			pause_ms(1);
		atomic_store(&stage, 2);
		await_stage(3);
	} else if (strcmp(name, "deadlock.counted") == 0 && atomic_load(&stage) == 2) {
		atomic_store(&stage, 3);
		await_stage(4);
		pause_ms(20);
	} else if (strcmp(name, "service.begins") == 0 && atomic_load(&stage) == 3) {
		atomic_store(&stage, 4);
	}
}

/* Weft has not seen it, and it is the only one that can help. */
static void *
connects_and_helps(void *arg)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	EXPECT_EQ(connect(fd, (struct sockaddr *)&place, sizeof(place)), 0);
	await_stage(4);
	EXPECT_EQ(weft_chan_send(chan, NULL, WEFT_FOREVER), 0);
	close(fd);
	return arg;
}

static void
is_helped_by_a_stranger(void *arg)
{
	char address[64];
	pthread_t helper;
	int n;

	at_points(hesitate);
	chan = weft_chan_new(0, 0);
	n = snprintf(address, sizeof(address), "unix:/tmp/weft-test-%d", (int)getpid());
	memcpy(place.sun_path, address + 5, (size_t)n - 4);
	EXPECT_EQ(weft_debug_serve(address), 0);
	EXPECT_EQ(pthread_create(&helper, NULL, connects_and_helps, arg), 0);
	pthread_detach(helper);
	await_stage(1);
	unlink(place.sun_path);
	EXPECT_EQ(weft_chan_recv(chan, NULL, WEFT_FOREVER), 1);
	puts("helped");
}

/*
 * A thread that is counted before it is there stands for one of the program's own: nobody seems to
 * be left who could wake anybody, and the program is ended by a report that it is dead.
 */
TEST(a_thread_of_the_endpoint_that_begins_is_nobody_yet)
{
	struct child_result r;

	hold_needed();
	r = child_run_with(&patient, is_helped_by_a_stranger, NULL);
	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.out, "helped\n");
	child_result_free(&r);
}

static atomic_uint counted = 99;

static void
look_at_count(const char *name)
{
	if (strcmp(name, "serve.begins") == 0 || strcmp(name, "tracer.begins") == 0)
		atomic_store(&counted, wf_sched.n_service);
}

static void
begin_the_endpoint(void *arg)
{
	char address[64];

	(void)arg;
	at_points(look_at_count);
	snprintf(address, sizeof(address), "unix:/tmp/weft-test-%d", (int)getpid());
	EXPECT_EQ(weft_debug_serve(address), 0);
	unlink(address + 5);
	EXPECT_EQ(atomic_load(&counted), 0);
}

static void
begin_the_tracer(void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)arg;
	at_points(look_at_count);
	EXPECT_EQ(weft_trace_start(null), 0);
	EXPECT_EQ(atomic_load(&counted), 0);
}

/* The same of the first two; whoever asks for them is awake, so that nothing else shows it. */
TEST(neither_the_endpoint_nor_the_tracer_counts_before_it_is_there)
{
	static void (*const fns[])(void *) = { begin_the_endpoint, begin_the_tracer };

	hold_needed();
	for (int i = 0; i < 2; i++) {
		struct child_result r = child_run_with(&patient, fns[i], NULL);

		EXPECT_STR(r.err, "");
		EXPECT_EQ(r.status, 0);
		child_result_free(&r);
	}
}

/* ---- who has come to a call ---- */

static int wake[2], main_tid;
static atomic_int may_poll;

/* Beside main: the monitor is about to ask it, and does not go on before it is in its call. */
static void *
looks_on(void *arg)
{
	hold_await("lint.computes");
	atomic_store(&may_poll, 1);
	while (wf_os_thread_state(main_tid) != 'S')
		pause_ms(1);
	hold_at("lint.looked");
	hold_release("lint.computes");
	hold_await("lint.looked");
	EXPECT_EQ(write(wake[1], "", 1), 1);
	return arg;
}

static void
compute_then_poll(void *arg)
{
	struct pollfd p = { .events = POLLIN };
	pthread_t other;

	EXPECT_EQ(pipe(wake), 0);
	p.fd = wake[0];
	main_tid = gettid();
	hold_at("lint.computes");
	EXPECT_EQ(pthread_create(&other, NULL, looks_on, arg), 0);
	pthread_detach(other);
	(void)weft_goid();
	while (!atomic_load(&may_poll))
		continue;
	errno = 0;
	if (poll(&p, 1, -1) == 1)
		puts("whole");
	fflush(stdout);
	_exit(0);	/* the monitor stands where it looked */
}

/*
 * It has computed for 10 ms, and comes to poll(2) while the monitor, which has seen its CPU clock,
 * has not asked it yet. A signal would end the call by EINTR, and the report would call poll() what
 * computes. (A thread that is stopped and continued is running for a moment: three tries.)
 */
TEST(who_has_come_to_a_call_is_not_asked_for_its_stack)
{
	static const char *const linted[] = { "WEFT_DEBUG=lint=1", NULL };
	const struct child_options o = { .env = linted, .limit_ms = 120000 };
	bool is_whole = false;

	hold_needed();
	for (int i = 0; i < 3 && !is_whole; i++) {
		struct child_result r = child_run_with(&o, compute_then_poll, NULL);

		EXPECT_EQ(r.status, 0);
		is_whole = strcmp(r.out, "whole\n") == 0 && strstr(r.err, "computed") == NULL;
		child_result_free(&r);
	}
	EXPECT(is_whole);
}

/* ---- a copy of the process ---- */

static void
nothing(void *arg)
{
	(void)arg;
}

static void
fork_while_one_ends(void *arg)
{
	int status;
	pid_t pid;

	weft_gomaxprocs(2);
	hold_at("fiber.leaves");
	EXPECT_EQ(weft_go(nothing, arg), 0);
	hold_await("fiber.leaves");
	pid = fork();
	if (pid == 0) {
		alarm(60);
		exit(0);
	}
	EXPECT(pid > 0);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	hold_release("fiber.leaves");
	EXPECT_EQ(status, 0);
}

/* Nobody in the copy lets go of the lock, which its exit must not wait for. */
TEST(a_copy_made_while_a_fake_stack_is_freed_ends)
{
	struct child_result r;

#ifndef WF_ASAN
	SKIP("only AddressSanitizer has fake stacks");
#endif
	r = child_run_with(&patient, fork_while_one_ends, NULL);
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}
