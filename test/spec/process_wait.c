/*
 * Waiting for child processes: by many, in storms, with deadlines, cancelled, and beside a program
 * that has its own ideas about SIGCHLD.
 * ctest: timeout=240
 */
#include "process_util.h"

#include <sys/wait.h>

static weft_process *
start_script(const char *script, weft_spawn_options *o)
{
	weft_process *p;

	o->size = sizeof(*o);
	EXPECT_EQ(weft_spawn(SH(script), o, &p), 0);
	return p;
}

TEST(a_deadline_bounds_the_wait_and_leaves_the_child_alone)
{
	weft_spawn_options o = {0};
	weft_process *p = start_script("exec sleep 1000", &o);
	weft_exit e = {.code = 77};
	int64_t end = weft_in(20 * MS);

	EXPECT_EQ(weft_wait(p, &e, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_wait(p, &e, end), -ETIMEDOUT);
	EXPECT(weft_now() >= end);
	EXPECT_EQ(e.code, 77);
	EXPECT_EQ(kill(weft_process_pid(p), 0), 0);
	EXPECT_EQ(weft_process_kill(p, 0), 0);
	EXPECT_EQ(weft_process_kill(p, 12345), -EINVAL);
	EXPECT_EQ(weft_process_kill(p, SIGINT), 0);
	EXPECT_EQ(weft_wait(p, &e, soon()), 0);
	EXPECT_EQ(e.signal, SIGINT);
	/* Again and again, and nobody else gets its signals. */
	e.signal = 0;
	EXPECT_EQ(weft_wait(p, &e, WEFT_NOW), 0);
	EXPECT_EQ(e.signal, SIGINT);
	EXPECT_EQ(weft_wait(p, NULL, WEFT_NOW), 0);
	EXPECT_EQ(weft_process_kill(p, SIGKILL), -ESRCH);
	weft_process_free(p);
	weft_process_free(NULL);
}

/* Freed while it runs: it is gone, and no zombie is left. */
TEST(a_child_that_is_freed_is_killed)
{
	weft_spawn_options o = {.in = WEFT_STDIO_PIPE, .out = WEFT_STDIO_PIPE};
	int before = open_fds();
	weft_process *p = start_script("exec sleep 1000", &o);
	pid_t pid = weft_process_pid(p);

	weft_process_free(p);
	EXPECT_EQ(kill(pid, 0), -1);
	expect_open(before);
}

struct waiter {
	weft_process *p;
	int r;
	weft_exit e;
};

static void
wait_for_it(void *arg)
{
	struct waiter *w = arg;

	w->r = weft_wait(w->p, &w->e, soon());
}

/* All that wait are told the same, though only one can take the status from the system. */
TEST(many_wait_for_one_child)
{
	for (int round = 0; round < 20; round++) {
		struct waiter w[10];
		weft_waitgroup wg = {0};
		weft_spawn_options o = {.in = WEFT_STDIO_PIPE};
		weft_process *p = start_script("read x; exit 9", &o);
		int in = weft_process_stdio(p, 0);

		for (int i = 0; i < 10; i++) {
			w[i] = (struct waiter){.p = p, .r = 1};
			EXPECT_EQ(weft_waitgroup_go(&wg, wait_for_it, &w[i]), 0);
		}
		if (round % 2 == 0)
			let_run();
		EXPECT_EQ(weft_close(in), 0);
		EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
		for (int i = 0; i < 10; i++) {
			EXPECT_EQ(w[i].r, 0);
			EXPECT_EQ(w[i].e.code, 9);
		}
		weft_process_free(p);
	}
}

/*
 * SCENARIOS 250. Short children by the thousand, many at once: each status arrives at who started
 * the child, and no descriptor and no zombie is left.
 */
struct storm {
	_Atomic int done;
	int each;
};

static void
start_many(void *arg)
{
	struct storm *st = arg;

	for (int i = 0; i < st->each; i++) {
		int code = (i * 7) % 256;
		char text[16];
		weft_process *p;
		weft_exit e;

		snprintf(text, sizeof(text), "exit %d", code);
		EXPECT_EQ(weft_spawn(SH(text), NULL, &p), 0);
		EXPECT_EQ(weft_wait(p, &e, weft_in(100 * SEC)), 0);
		EXPECT_EQ(e.code, code);
		weft_process_free(p);
		st->done++;
	}
}

TEST(a_storm_of_short_children_loses_none)
{
	struct storm st = {.each = 150 / test_scale()};
	weft_waitgroup wg = {0};
	int before = open_fds();

	for (int i = 0; i < 8; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, start_many, &st), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, weft_in(200 * SEC)), 0);
	EXPECT_EQ(st.done, 8 * st.each);
	expect_open(before);
	EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
}

/* All at the same moment: one SIGCHLD may stand for many of them. */
TEST(two_hundred_that_end_together_are_all_told)
{
	enum { N = 200 };
	static weft_process *p[N];
	int gate[2];

	EXPECT_EQ(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < N; i++) {
		weft_spawn_options o = {.in = WEFT_STDIO_FD(gate[0])};

		p[i] = start_script("read x; exit 5", &o);
	}
	EXPECT_EQ(close(gate[1]), 0);
	for (int i = 0; i < N; i++) {
		weft_exit e;

		EXPECT_EQ(weft_wait(p[i], &e, soon()), 0);
		EXPECT_EQ(e.code, 5);
		weft_process_free(p[i]);
	}
	EXPECT_EQ(close(gate[0]), 0);
}

/* SCENARIOS 255. The program's handler sees each child end, and our waits do not mind. */
static _Atomic int children;

static void
count_child(int sig)
{
	(void)sig;
	children++;
}

TEST(the_programs_sigchld_handler_goes_on_working)
{
	struct sigaction sa = {.sa_handler = count_child}, now;

	EXPECT_EQ(sigaction(SIGCHLD, &sa, NULL), 0); /* without SA_RESTART */
	for (int i = 0; i < 20; i++) {
		int seen = children;

		EXPECT_EQ(run_script("exit 4", NULL).code, 4);
		while (children == seen) /* may run on any thread, a little later */
			weft_sleep(1 * MS);
	}
	EXPECT_EQ(sigaction(SIGCHLD, NULL, &now), 0);
	EXPECT(now.sa_handler == count_child);
}

static void
reap_all(int sig)
{
	int error = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
	errno = error;
}

/* A library that takes all statuses: they are lost to us, but nobody waits for ever. */
TEST(a_status_taken_by_others_is_told_so)
{
	weft_spawn_options o = {0};
	weft_process *p;
	weft_exit e = {.code = 77};

	signal(SIGCHLD, SIG_IGN);
	p = start_script("exit 1", &o);
	EXPECT_EQ(weft_wait(p, &e, soon()), -ECHILD);
	EXPECT_EQ(weft_wait(p, &e, soon()), -ECHILD);
	EXPECT_EQ(e.code, 77);
	EXPECT_EQ(weft_process_kill(p, SIGKILL), -ESRCH);
	weft_process_free(p);
	signal(SIGCHLD, reap_all);
	for (int i = 0; i < 20; i++) {
		int r;

		p = start_script("exit 1", &o);
		r = weft_wait(p, &e, soon());
		EXPECT(r == -ECHILD || (r == 0 && e.code == 1));
		weft_process_free(p);
	}
}

/* Children of others are none of our business. */
TEST(children_of_others_are_not_taken)
{
	pid_t other = fork();
	int status;

	if (other == 0)
		_exit(33);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(run_script("exit 1", NULL).code, 1);
	EXPECT_EQ(waitpid(other, &status, 0), other);
	EXPECT_EQ(WEXITSTATUS(status), 33);
}

/*
 * SCENARIOS 251. A request is cancelled: what it started dies with it, and all of the group, also
 * those that do not listen to the polite signal.
 */
struct cancelled {
	const char *script;
	weft_spawn_options o;
	weft_exit e;
	pid_t pid;
	_Atomic bool waits;
};

static int
run_cancelled(void *arg)
{
	struct cancelled *c = arg;
	char line[64] = "";
	weft_process *p;
	int r, out;

	c->o.out = WEFT_STDIO_PIPE;
	p = start_script(c->script, &c->o);
	out = weft_process_stdio(p, 1);
	EXPECT(weft_read(out, line, sizeof(line) - 1, soon()) > 0);
	c->pid = atoi(line);
	c->waits = true;
	r = weft_wait(p, &c->e, WEFT_FOREVER);
	EXPECT_EQ(weft_process_kill(p, SIGTERM), -ESRCH);
	weft_process_free(p);
	EXPECT_EQ(weft_close(out), 0);
	return r;
}

static weft_exit
cancel_script(const char *script, weft_spawn_options o)
{
	struct cancelled c = {.script = script, .o = o};
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	int64_t limit = soon();

	EXPECT_EQ(weft_scope_go(s, run_cancelled, &c), 0);
	while (!c.waits)
		weft_sleep(1 * MS);
	weft_scope_cancel(s, 0);
	EXPECT_EQ(weft_scope_wait(s, soon()), -ECANCELED);
	weft_scope_free(s);
	/* A grandchild that was killed is reaped by init, in its own time. */
	while (kill(c.pid, 0) == 0) {
		char path[64], text[256] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/stat", c.pid);
		fd = open(path, O_RDONLY);
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, ") Z "))
			limit = INT64_MAX;
		if (fd >= 0)
			close(fd);
		if (limit == INT64_MAX)
			break; /* dead; there is no init here that cares */
		EXPECT(weft_now() < limit);
		weft_sleep(1 * MS);
	}
	return c.e;
}

TEST(a_cancelled_wait_kills_the_child)
{
	weft_exit e = cancel_script("echo $$; exec sleep 1000", (weft_spawn_options){0});

	EXPECT_EQ(e.signal, SIGKILL);
	/* Politely: it may end as it likes. */
	e = cancel_script("trap 'exit 6' TERM; echo $$; while :; do sleep 0.01; done",
	    (weft_spawn_options){.kill_signal = SIGTERM, .kill_delay = 100 * SEC});
	EXPECT_EQ(e.code, 6);
	/* Deaf. */
	e = cancel_script("trap '' TERM; echo $$; while :; do sleep 0.01; done",
	    (weft_spawn_options){.kill_signal = SIGTERM, .kill_delay = 20 * MS});
	EXPECT_EQ(e.signal, SIGKILL);
}

TEST(a_cancelled_wait_kills_the_whole_group)
{
	weft_exit e = cancel_script(
	    "sleep 1000 & echo $!; wait", (weft_spawn_options){.group = true});

	EXPECT_EQ(e.signal, SIGKILL);
	/* The leader goes at the first signal; its deaf child must go as well. */
	e = cancel_script("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.01; done' & wait",
	    (weft_spawn_options){
		.group = true, .kill_signal = SIGTERM, .kill_delay = 100 * SEC});
	EXPECT_EQ(e.signal, SIGTERM);
}

/* In a scope that is cancelled already. */
static int
wait_late(void *arg)
{
	weft_spawn_options o = {0};
	weft_process *p = start_script("exec sleep 1000", &o);
	weft_exit e;
	int r;

	(void)arg;
	while (weft_sleep(1 * MS) == 0)
		continue;
	r = weft_wait(p, &e, WEFT_FOREVER);
	EXPECT_EQ(e.signal, SIGKILL);
	weft_process_free(p);
	return r;
}

TEST(a_wait_in_a_cancelled_scope_kills_at_once)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	EXPECT_EQ(weft_scope_go(s, wait_late, NULL), 0);
	let_run();
	weft_scope_cancel(s, 0);
	EXPECT_EQ(weft_scope_wait(s, soon()), -ECANCELED);
	weft_scope_free(s);
}
