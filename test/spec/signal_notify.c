/*
 * Signals that arrive in channels.
 */
#include "io_util.h"

#include "child.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static int
await_signal(weft_chan *c)
{
	int sig = 0;

	EXPECT_EQ(weft_chan_recv(c, &sig, soon()), 1);
	return sig;
}

static void
expect_none(weft_chan *c)
{
	int sig;

	EXPECT_EQ(weft_chan_recv(c, &sig, weft_in(5 * MS)), -ETIMEDOUT);
}

/* What a server does to learn that it shall stop, or read its configuration again. */
TEST(signals_arrive_at_those_who_asked)
{
	weft_chan *all = weft_chan_new(sizeof(int), 10), *hup = weft_chan_new(sizeof(int), 1);

	EXPECT_EQ(weft_signal_notify(all, SIGHUP), 0);
	EXPECT_EQ(weft_signal_notify(all, SIGTERM), 0);
	EXPECT_EQ(weft_signal_notify(all, SIGRTMAX), 0);
	EXPECT_EQ(weft_signal_notify(hup, SIGHUP), 0);
	EXPECT_EQ(weft_signal_notify(hup, SIGHUP), 0);
	EXPECT_EQ(kill(getpid(), SIGHUP), 0);
	EXPECT_EQ(await_signal(all), SIGHUP);
	EXPECT_EQ(await_signal(hup), SIGHUP);
	EXPECT_EQ(kill(getpid(), SIGTERM), 0);
	EXPECT_EQ(await_signal(all), SIGTERM);
	EXPECT_EQ(raise(SIGRTMAX), 0);
	EXPECT_EQ(await_signal(all), SIGRTMAX);
	expect_none(hup);
	weft_signal_stop(all);
	EXPECT_EQ(kill(getpid(), SIGHUP), 0); /* still wanted by the other */
	EXPECT_EQ(await_signal(hup), SIGHUP);
	expect_none(all);
	weft_signal_stop(hup);
	weft_signal_stop(hup);
	weft_signal_stop(NULL);
	weft_chan_unref(all);
	weft_chan_unref(hup);
}

TEST(what_cannot_be_notified_is_refused)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1), *wide = weft_chan_new(8, 1);
	static const int bad[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, 65, 32};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(weft_signal_notify(c, bad[i]), -EINVAL);
		EXPECT_EQ(weft_signal_ignore(bad[i]), -EINVAL);
		EXPECT(!weft_signal_ignored(bad[i]));
	}
	EXPECT_EQ(weft_signal_reset(SIGKILL), -EINVAL);
	EXPECT_EQ(weft_signal_notify(wide, SIGUSR1), -EINVAL);
	weft_chan_unref(c);
	weft_chan_unref(wide);
}

static void
notify_nil(void *unused)
{
	(void)unused;
	(void)weft_signal_notify(NULL, SIGUSR1);
}

TEST(a_nil_channel_is_a_panic)
{
	char text[100];

	EXPECT_EQ(weft_try(notify_nil, NULL, text, sizeof(text)), 1);
	EXPECT_CONTAINS(text, "using nil channel");
	/* And nothing is left locked. */
	EXPECT_EQ(weft_signal_ignore(SIGUSR1), 0);
}

/* A receiver that is busy must not hold up the others, nor lose the news that there was one. */
TEST(a_full_channel_keeps_one_and_drops_the_rest)
{
	weft_chan *full = weft_chan_new(sizeof(int), 1), *wide = weft_chan_new(sizeof(int), 100);

	EXPECT_EQ(weft_signal_notify(full, SIGUSR1), 0);
	EXPECT_EQ(weft_signal_notify(wide, SIGUSR1), 0);
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(raise(SIGUSR1), 0);
		EXPECT_EQ(await_signal(wide), SIGUSR1);
	}
	EXPECT_EQ(await_signal(full), SIGUSR1);
	expect_none(full);
	weft_signal_stop(full);
	weft_signal_stop(wide);
	weft_chan_unref(full);
	weft_chan_unref(wide);
}

static _Atomic int by_handler;

static void
count_handler(int sig)
{
	by_handler += sig == SIGUSR1;
}

static void
count_info(int sig, siginfo_t *info, void *uctx)
{
	by_handler += sig == SIGUSR1 && info->si_pid == getpid() && uctx != NULL;
}

/* The program's own handler goes on being called, and is there again afterwards. */
TEST(handlers_of_the_program_are_called_as_well)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);
	struct sigaction sa = {.sa_sigaction = count_info, .sa_flags = SA_SIGINFO}, now;

	for (int kind = 0; kind < 2; kind++) {
		by_handler = 0;
		if (kind == 0)
			signal(SIGUSR1, count_handler);
		else
			EXPECT_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
		EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
		EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
		EXPECT_EQ(await_signal(c), SIGUSR1);
		while (by_handler == 0)
			weft_yield();
		EXPECT_EQ(by_handler, 1);
		weft_signal_stop(c);
		EXPECT_EQ(sigaction(SIGUSR1, NULL, &now), 0);
		EXPECT(kind == 0 ? now.sa_handler == count_handler
				 : now.sa_sigaction == count_info);
	}
	/* What the program puts in our place later stays there. */
	EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
	signal(SIGUSR1, SIG_IGN);
	weft_signal_stop(c);
	EXPECT(weft_signal_ignored(SIGUSR1));
	weft_chan_unref(c);
}

/* SCENARIOS 258. */
TEST(ignore_and_reset_undo_notify)
{
	weft_chan *c = weft_chan_new(sizeof(int), 10);
	struct sigaction now;

	EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
	EXPECT_EQ(weft_signal_notify(c, SIGUSR2), 0);
	EXPECT(!weft_signal_ignored(SIGUSR1));
	EXPECT_EQ(weft_signal_ignore(SIGUSR1), 0);
	EXPECT(weft_signal_ignored(SIGUSR1));
	EXPECT_EQ(raise(SIGUSR1), 0);
	expect_none(c);
	EXPECT_EQ(raise(SIGUSR2), 0);
	EXPECT_EQ(await_signal(c), SIGUSR2);
	EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
	EXPECT(!weft_signal_ignored(SIGUSR1));
	EXPECT_EQ(raise(SIGUSR1), 0);
	EXPECT_EQ(await_signal(c), SIGUSR1);
	EXPECT_EQ(weft_signal_reset(SIGUSR1), 0);
	EXPECT_EQ(sigaction(SIGUSR1, NULL, &now), 0);
	EXPECT(now.sa_handler == SIG_DFL);
	EXPECT_EQ(weft_signal_ignore(SIGUSR1), 0);
	EXPECT_EQ(weft_signal_reset(0), 0);
	EXPECT_EQ(sigaction(SIGUSR1, NULL, &now), 0);
	EXPECT(now.sa_handler == SIG_DFL);
	EXPECT_EQ(sigaction(SIGUSR2, NULL, &now), 0);
	EXPECT(now.sa_handler == SIG_DFL);
	weft_chan_unref(c);
}

static void
die_of_what_was_reset(void *unused)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);

	(void)unused;
	EXPECT_EQ(weft_signal_notify(c, SIGINT), 0);
	EXPECT_EQ(raise(SIGINT), 0);
	EXPECT_EQ(await_signal(c), SIGINT);
	EXPECT_EQ(weft_signal_reset(SIGINT), 0);
	raise(SIGINT);
}

/* A second Ctrl-C ends what does not end after the first. */
TEST(what_was_reset_has_its_effect_again)
{
	struct child_result r = child_run(die_of_what_was_reset, NULL);

	EXPECT_EQ(r.signal, SIGINT);
	child_result_free(&r);
}

/* SCENARIOS 260. nohup: what was ignored at the start stays ignored, until somebody asks. */
TEST(an_inherited_ignored_signal_stays_ignored_until_asked_for)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);

	signal(SIGHUP, SIG_IGN);
	weft_yield(); /* the runtime has started, and minds its own business */
	EXPECT(weft_signal_ignored(SIGHUP));
	EXPECT_EQ(raise(SIGHUP), 0);
	EXPECT_EQ(weft_signal_notify(c, SIGHUP), 0);
	EXPECT(!weft_signal_ignored(SIGHUP));
	EXPECT_EQ(raise(SIGHUP), 0);
	EXPECT_EQ(await_signal(c), SIGHUP);
	weft_signal_stop(c);
	EXPECT(weft_signal_ignored(SIGHUP));
	EXPECT_EQ(raise(SIGHUP), 0);
	weft_chan_unref(c);
}

/* SCENARIOS 261. A program with a screen draws it again when it is in the foreground again. */
TEST(sigcont_can_be_caught)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);
	pid_t self = getpid(), waker;

	EXPECT_EQ(weft_signal_notify(c, SIGCONT), 0);
	waker = fork();
	if (waker == 0) {
		kill(self, SIGSTOP);
		usleep(20000);
		kill(self, SIGCONT);
		_exit(0);
	}
	EXPECT_EQ(await_signal(c), SIGCONT);
	EXPECT_EQ(waitpid(waker, NULL, 0), waker);
	weft_chan_unref(c);
}

/* SIGQUIT in a channel prints no dump: the program has decided what it means. */
static void
quit_by_channel(void *unused)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);

	(void)unused;
	EXPECT_EQ(weft_signal_notify(c, SIGQUIT), 0);
	EXPECT_EQ(raise(SIGQUIT), 0);
	EXPECT_EQ(await_signal(c), SIGQUIT);
	weft_signal_stop(c);
	raise(SIGQUIT);
}

TEST(sigquit_dumps_only_when_nobody_wants_it)
{
	struct child_result r = child_run(quit_by_channel, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "SIGQUIT: quit");
	child_result_free(&r);
}

/* SCENARIOS 257. */
static void *
send_storm(void *arg)
{
	_Atomic bool *stop = arg;

	while (!*stop)
		kill(getpid(), SIGUSR1);
	return NULL;
}

static void
work(void *arg)
{
	_Atomic bool *stop = arg;
	char *p[8];

	while (!*stop) {
		for (int i = 0; i < 8; i++)
			p[i] = malloc(100);
		weft_yield();
		for (int i = 0; i < 8; i++)
			free(p[i]);
	}
}

TEST(a_storm_of_signals_is_survived_and_the_last_one_arrives)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);
	_Atomic bool stop = false;
	weft_waitgroup wg = {0};
	int64_t end;
	pthread_t t;
	int n = 0, sig;

	EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, work, &stop), 0);
	EXPECT_EQ(pthread_create(&t, NULL, send_storm, &stop), 0);
	for (end = weft_in(1 * SEC); weft_now() < end; n++)
		EXPECT_EQ(await_signal(c), SIGUSR1);
	EXPECT(n > 0);
	stop = true;
	weft_syscall_enter();
	EXPECT_EQ(pthread_join(t, NULL), 0);
	weft_syscall_exit();
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	while (weft_chan_recv(c, &sig, weft_in(50 * MS)) == 1)
		continue;
	/* After all of that the next one is not lost either. */
	for (int i = 0; i < 1000 / test_scale(); i++) {
		EXPECT_EQ(raise(SIGUSR1), 0);
		EXPECT_EQ(await_signal(c), SIGUSR1);
	}
	weft_signal_stop(c);
	weft_chan_unref(c);
}

/*
 * Go's TestAtomicStop. A signal that is sent while the last channel stops comes to the channel, or
 * has the effect that it had before: here, it is counted by the program's handler or not at all.
 */
TEST(no_signal_is_lost_around_a_stop)
{
	signal(SIGUSR1, count_handler);
	for (int i = 0; i < 300 / test_scale(); i++) {
		weft_chan *c = weft_chan_new(sizeof(int), 1);
		int sig;

		by_handler = 0;
		EXPECT_EQ(weft_signal_notify(c, SIGUSR1), 0);
		EXPECT_EQ(kill(getpid(), SIGUSR1), 0); /* to whatever thread */
		weft_signal_stop(c);
		if (weft_chan_recv(c, &sig, WEFT_NOW) != 1)
			while (by_handler == 0)
				weft_yield();
		weft_chan_unref(c);
	}
}

static void
stop_and_die(void *unused)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);
	int sig;

	(void)unused;
	EXPECT_EQ(weft_signal_notify(c, SIGINT), 0);
	EXPECT_EQ(kill(getpid(), SIGINT), 0);
	weft_signal_stop(c);
	if (weft_chan_recv(c, &sig, weft_in(10 * SEC)) == 1)
		_exit(7);
	_exit(1); /* lost */
}

TEST(a_stop_leaves_a_deadly_signal_deadly)
{
	for (int i = 0; i < 10; i++) {
		struct child_result r = child_run(stop_and_die, NULL);

		EXPECT(r.status == 7 || r.signal == SIGINT);
		child_result_free(&r);
	}
}

/* A daemon that does nothing until it is told to is not a deadlock (Go: likewise). */
static void
only_wait(void *unused)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);

	(void)unused;
	EXPECT_EQ(weft_signal_notify(c, SIGTERM), 0);
	(void)!write(1, "ready", 5);
	_exit(await_signal(c) == SIGTERM ? 9 : 1);
}

TEST(a_program_that_only_waits_for_a_signal_is_not_dead)
{
	struct child *c = child_start(NULL, only_wait, NULL);
	struct child_result r;

	child_await(c, "ready");
	weft_sleep(50 * MS);
	child_kill(c, SIGTERM);
	r = child_wait(c);
	EXPECT_EQ(r.status, 9);
	child_result_free(&r);
}

/*
 * SCENARIOS 262. Go's NotifyContext, as one writes it here: the outer scope has the goroutine that
 * waits for the signal, the inner one the work. The cause names the signal; stopped, it is
 * released.
 */
struct stopper {
	weft_scope *work;
	weft_chan *signals;
};

static int
cancel_at_signal(void *arg)
{
	struct stopper *st = arg;
	int sig, r = weft_chan_recv(st->signals, &sig, WEFT_FOREVER);

	if (r == 1)
		weft_scope_cancel(st->work, -sig);
	return 0;
}

static int
work_until_cancelled(void *unused)
{
	(void)unused;
	return weft_sleep(1000 * SEC);
}

TEST(a_scope_is_cancelled_by_a_signal)
{
	for (int signalled = 0; signalled < 2; signalled++) {
		weft_scope *outer = weft_scope_new(NULL, WEFT_FOREVER);
		weft_scope *work = weft_scope_new(outer, WEFT_FOREVER);
		struct stopper st = {work, weft_chan_new(sizeof(int), 1)};

		EXPECT_EQ(weft_signal_notify(st.signals, SIGTERM), 0);
		EXPECT_EQ(weft_scope_go(outer, cancel_at_signal, &st), 0);
		EXPECT_EQ(weft_scope_go(work, work_until_cancelled, NULL), 0);
		let_run();
		if (signalled) {
			EXPECT_EQ(kill(getpid(), SIGTERM), 0);
			EXPECT_EQ(weft_scope_wait(work, soon()), -ECANCELED);
			EXPECT_EQ(weft_scope_cause(work), -SIGTERM);
		} else {
			EXPECT_EQ(weft_scope_err(work), 0);
		}
		weft_signal_stop(st.signals);
		weft_scope_cancel(outer, 0); /* the waiter too */
		weft_scope_free(work);
		weft_scope_free(outer);
		EXPECT_EQ(weft_chan_recv(st.signals, NULL, WEFT_NOW), -ETIMEDOUT);
		weft_chan_unref(st.signals);
	}
}
