/*
 * The signals of the program that weft is a guest in: what it had installed is still called, what
 * it installs stays, and nothing changes that is none of weft's business.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define N_SIGNALS 65

/* What weft takes to report crashes (man 7 weft, SIGNALS); the first two even from a handler. */
static const int taken[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};

static bool
is_taken(int sig, size_t of)
{
	for (size_t i = 0; i < of; i++) {
		if (taken[i] == sig)
			return true;
	}
	return false;
}

/* No program can handle these; 32 and 33 are the C library's. */
static bool
is_beyond_us(int sig)
{
	return sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33;
}

struct picture {
	struct sigaction action[N_SIGNALS];
	sigset_t mask;
	stack_t stack;
};

static void
take_picture(struct picture *p)
{
	memset(p, 0, sizeof(*p));
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		if (sig != 32 && sig != 33)
			EXPECT_EQ(sigaction(sig, NULL, &p->action[sig]), 0);
	}
	EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &p->mask), 0);
	EXPECT_EQ(sigaltstack(NULL, &p->stack), 0);
}

static bool
same_set(const sigset_t *a, const sigset_t *b)
{
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		if (sigismember(a, sig) != sigismember(b, sig))
			return false;
	}
	return true;
}

static void
expect_same(const struct picture *a, const struct picture *b, size_t but_taken)
{
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		const struct sigaction *x = &a->action[sig], *y = &b->action[sig];

		if (is_taken(sig, but_taken))
			continue;
		if (x->sa_handler != y->sa_handler || x->sa_flags != y->sa_flags ||
		    !same_set(&x->sa_mask, &y->sa_mask))
			FAIL("signal %d was changed", sig);
	}
	EXPECT(same_set(&a->mask, &b->mask));
}

static void
nothing_much(void *arg)
{
	weft_waitgroup *all = arg;

	EXPECT_EQ(weft_sleep(MS), 0);
	weft_waitgroup_done(all);
}

/* Goroutines on several threads, a timer, the poller, and a write that could raise SIGPIPE. */
static void
use_weft(void)
{
	weft_waitgroup all = {0};
	int fd[2];
	char c = 0;

	weft_gomaxprocs(4);
	weft_waitgroup_add(&all, 20);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_go(nothing_much, &all), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(pipe(fd), 0);
	EXPECT_EQ(weft_read(fd[0], &c, 1, weft_in(MS)), -ETIMEDOUT);
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_write(fd[1], &c, 1, WEFT_FOREVER), -EPIPE);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

static void
look_before_and_after(void *unused)
{
	static struct picture before, after;

	(void)unused;
	take_picture(&before);
	use_weft();
	take_picture(&after);
	expect_same(&before, &after, 6);
}

/* A daemon's SIGCHLD, SIGALRM, SIGPIPE, SIGHUP, ...: not a guest's to change. */
TEST(all_but_six_signals_are_left_alone)
{
	struct child_result r = child_run(look_before_and_after, NULL);

	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

static _Atomic int count[N_SIGNALS];

static void
on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_signo == sig)
		atomic_fetch_add(&count[sig], 1);
}

static void
on_plain_signal(int sig)
{
	atomic_fetch_add(&count[sig], 1);
}

/* A handler for all, of one kind or the other, with a flag and a mask that weft would not use. */
static void
install_all(void)
{
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		struct sigaction sa = {.sa_flags = 0};

		if (is_beyond_us(sig))
			continue;
		if (sig % 2 == 0) {
			sa.sa_sigaction = on_signal;
			sa.sa_flags = SA_SIGINFO;
		} else {
			sa.sa_handler = on_plain_signal;
			sa.sa_flags = SA_RESTART;
		}
		EXPECT_EQ(sigaddset(&sa.sa_mask, SIGUSR2), 0);
		EXPECT_EQ(sigaction(sig, &sa, NULL), 0);
	}
}

/* Each once, to the process; whichever of its threads takes it. */
static void
expect_all_arrive(void)
{
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		int before = atomic_load(&count[sig]);

		if (is_beyond_us(sig))
			continue;
		EXPECT_EQ(kill(getpid(), sig), 0);
		for (int ms = 0; atomic_load(&count[sig]) == before; ms++) {
			if (ms == 10000)
				FAIL("signal %d did not come to its handler", sig);
			usleep(1000);
		}
		EXPECT_EQ(atomic_load(&count[sig]), before + 1);
	}
}

static void
handlers_before(void *unused)
{
	static struct picture before, after;

	(void)unused;
	install_all();
	take_picture(&before);
	use_weft();
	take_picture(&after);
	expect_same(&before, &after, 2);
	expect_all_arrive();
}

/* SIGSEGV and SIGBUS are passed on; no other handler is touched. */
TEST(handlers_that_were_there_are_called)
{
	struct child_result r = child_run(handlers_before, NULL);

	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

static void
handlers_after(void *unused)
{
	static struct picture before, after;

	(void)unused;
	use_weft();
	install_all();
	take_picture(&before);
	use_weft();
	take_picture(&after);
	expect_same(&before, &after, 0);
	expect_all_arrive();
}

TEST(handlers_that_come_later_stay)
{
	struct child_result r = child_run(handlers_after, NULL);

	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

static void
ignore_all(void *unused)
{
	static struct picture before, after;

	(void)unused;
	for (int sig = 1; sig < N_SIGNALS; sig++) {
		if (!is_beyond_us(sig) && !is_taken(sig, 6))
			EXPECT(signal(sig, SIG_IGN) != SIG_ERR);
	}
	take_picture(&before);
	use_weft();
	take_picture(&after);
	expect_same(&before, &after, 6);
}

/* nohup(1) ignores SIGHUP, a shell the children's SIGINT. */
TEST(ignored_signals_stay_ignored)
{
	struct child_result r = child_run(ignore_all, NULL);

	EXPECT_STR(r.err, "");
	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}

/* ---- The alternate signal stack of the program's own threads ---- */

static void
set_stack(stack_t *s)
{
	memset(s, 0, sizeof(*s));
	s->ss_size = (size_t)sysconf(_SC_SIGSTKSZ) + 65536;
	s->ss_sp = malloc(s->ss_size);
	EXPECT(s->ss_sp != NULL);
	EXPECT_EQ(sigaltstack(s, NULL), 0);
}

static void
expect_stack(const stack_t *s)
{
	stack_t now;

	EXPECT_EQ(sigaltstack(NULL, &now), 0);
	EXPECT(now.ss_sp == s->ss_sp);
	EXPECT_EQ(now.ss_size, s->ss_size);
	EXPECT_EQ(now.ss_flags, 0);
}

static void
drop_stack(stack_t *s)
{
	stack_t off = {.ss_flags = SS_DISABLE};

	EXPECT_EQ(sigaltstack(&off, NULL), 0);
	free(s->ss_sp);
}

static void *
own_stack(void *is_late)
{
	stack_t s;

	if (is_late != NULL)
		EXPECT_EQ(weft_sleep(MS), 0);
	set_stack(&s);
	EXPECT_EQ(weft_sleep(MS), 0);
	use_weft();
	expect_stack(&s);
	drop_stack(&s);
	return NULL;
}

/* Set before the first call, or after it, when weft had given the thread one. */
TEST(a_threads_own_signal_stack_stays)
{
	static char yes;

	for (int is_late = 0; is_late < 2; is_late++) {
		pthread_t thread;

		EXPECT_EQ(pthread_create(&thread, NULL, own_stack, is_late ? &yes : NULL), 0);
		EXPECT_EQ(pthread_join(thread, NULL), 0);
	}
}
