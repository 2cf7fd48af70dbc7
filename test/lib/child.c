/*
 * Child processes of a test: see child.h.
 *
 * The child is this program again, told on its command line which function to run. Addresses
 * differ from run to run (ASLR), so they travel as offsets from the program's first byte.
 */
#define _GNU_SOURCE
#include "child.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The linker's own marks: where the program starts and ends in memory. */
extern const char __executable_start[], _end[];

extern char **environ;

struct stream {
	int fd;		/* -1 at its end, or when not captured */
	char *text;	/* CHILD_OUTPUT_MAX + 1 bytes, NUL at len */
	size_t len;
};

struct child {
	pid_t pid;
	int64_t deadline_ms;
	struct stream out, err;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* "@offset" for an address in the program, "=value" for a small integer. */
static void
encode(char *ret, size_t size, uintptr_t value)
{
	uintptr_t start = (uintptr_t)__executable_start;

	if (value >= start && value < (uintptr_t)_end)
		snprintf(ret, size, "@%" PRIxPTR, value - start);
	else if (value <= UINT32_MAX)
		snprintf(ret, size, "=%" PRIxPTR, value);
	else
		FAIL("a child gets static addresses and small integers, not %p", (void *)value);
}

static uintptr_t
decode(const char *text)
{
	uintptr_t value = (uintptr_t)strtoull(text + 1, NULL, 16);

	return text[0] == '@' ? (uintptr_t)__executable_start + value : value;
}

void
child_main(int argc, char **argv)
{
	void (*fn)(void *);

	if (argc != 4)
		FAIL("--child is for test/lib only");
	fn = (void (*)(void *))decode(argv[2]);
	fn((void *)decode(argv[3]));
	exit(0);
}

static bool
same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

/* environ with `changes` applied. The array is the caller's, the strings are not. */
static char **
make_environment(const char *const *changes)
{
	size_t n = 0, extra = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	while (changes != NULL && changes[extra] != NULL)
		extra++;
	env = calloc(n + extra + 1, sizeof(*env));
	if (env == NULL)
		FAIL("out of memory");
	n = 0;
	for (char **e = environ; *e != NULL; e++) {
		bool changed = false;

		for (size_t i = 0; i < extra; i++)
			changed = changed || same_name(*e, changes[i]);
		if (!changed)
			env[n++] = *e;
	}
	for (size_t i = 0; i < extra; i++) {
		if (strchr(changes[i], '=') != NULL)
			env[n++] = (char *)(uintptr_t)changes[i];
	}
	return env;
}

/*
 * In the child of a fork, maybe of a process with many threads: system calls only. The alarm
 * outlives exec: should our parent be killed, nothing stays behind.
 */
static void __attribute__((noreturn))
become(const char *const *argv, char *const *env, int out, int err, int limit_ms)
{
	struct rlimit none = {0, 0};
	sigset_t empty;

	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	signal(SIGPIPE, SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	alarm((unsigned)limit_ms / 1000 + 10);
	if (out >= 0 && (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0))
		_exit(126);
	execvpe(argv[0], (char *const *)(uintptr_t)argv, env);
	_exit(127);
}

static struct stream
open_stream(bool captured, int *ret_write_end)
{
	struct stream s = {.fd = -1};
	int ends[2];

	*ret_write_end = -1;
	s.text = malloc(captured ? CHILD_OUTPUT_MAX + 1 : 1);
	if (s.text == NULL)
		FAIL("out of memory");
	s.text[0] = '\0';
	if (captured) {
		if (pipe2(ends, O_CLOEXEC) != 0)
			FAIL("pipe: %s", strerror(errno));
		s.fd = ends[0];
		*ret_write_end = ends[1];
	}
	return s;
}

/*
 * "/proc/self/exe ARGUMENT..."; or, when the tests of another processor run here, that behind the
 * words of WEFT_TEST_EMULATOR, since the kernel cannot run the program itself.
 */
static const char **
make_command(const char *const *arguments)
{
	static char self[4096], emulator[1024];
	const char *words = getenv("WEFT_TEST_EMULATOR");
	const char **argv = calloc(32, sizeof(*argv));
	size_t n = 0;

	if (argv == NULL)
		FAIL("out of memory");
	snprintf(self, sizeof(self), "/proc/self/exe");
	if (words != NULL && words[0] != '\0') {
		snprintf(emulator, sizeof(emulator), "%s", words);
		for (char *w = strtok(emulator, " "); w != NULL && n < 16; w = strtok(NULL, " "))
			argv[n++] = w;
		if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
			FAIL("readlink: %s", strerror(errno));
	}
	argv[n++] = self;
	for (size_t i = 0; arguments[i] != NULL && n < 31; i++)
		argv[n++] = arguments[i];
	return argv;
}

static struct child *
start(const struct child_options *o, const char *const *arguments)
{
	static const struct child_options defaults;
	struct child *c = calloc(1, sizeof(*c));
	int limit_ms, out, err;
	const char **argv;
	char **env;

	if (c == NULL)
		FAIL("out of memory");
	if (o == NULL)
		o = &defaults;
	limit_ms = o->limit_ms > 0 ? o->limit_ms : 20000 * test_scale();
	env = make_environment(o->env);
	argv = make_command(arguments);
	c->out = open_stream(!o->no_capture, &out);
	c->err = open_stream(!o->no_capture, &err);
	fflush(NULL);
	c->deadline_ms = now_ms() + limit_ms;
	c->pid = fork();
	if (c->pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (c->pid == 0)
		become(argv, env, out, err, limit_ms);
	if (!o->no_capture) {
		close(out);
		close(err);
	}
	free(env);
	free(argv);
	return c;
}

struct child *
child_start(const struct child_options *o, void (*fn)(void *), void *arg)
{
	char fn_text[32], arg_text[32];
	const char *arguments[] = {"--child", fn_text, arg_text, NULL};

	encode(fn_text, sizeof(fn_text), (uintptr_t)fn);
	encode(arg_text, sizeof(arg_text), (uintptr_t)arg);
	return start(o, arguments);
}

static void
read_some(struct stream *s)
{
	char dropped[4096];
	size_t room = CHILD_OUTPUT_MAX - s->len;
	ssize_t n = read(s->fd, room > 0 ? s->text + s->len : dropped,
	    room > 0 ? room : sizeof(dropped));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(s->fd);
		s->fd = -1;
		return;
	}
	if (room > 0) {
		s->len += (size_t)n;
		s->text[s->len] = '\0';
	}
}

/* Reads what comes next. False at the end of both streams, or when the time is over. */
static bool
pump(struct child *c)
{
	struct pollfd p[2] = {
	    {.fd = c->out.fd, .events = POLLIN}, {.fd = c->err.fd, .events = POLLIN}};
	int64_t left = c->deadline_ms - now_ms();

	if (c->out.fd < 0 && c->err.fd < 0)
		return false;
	if (left <= 0)
		return false;
	if (poll(p, 2, (int)left) < 0 && errno != EINTR)
		FAIL("poll: %s", strerror(errno));
	if (p[0].revents != 0)
		read_some(&c->out);
	if (p[1].revents != 0)
		read_some(&c->err);
	return true;
}

void
child_await(struct child *c, const char *text)
{
	while (strstr(c->out.text, text) == NULL && strstr(c->err.text, text) == NULL) {
		if (!pump(c)) {
			kill(c->pid, SIGKILL);
			FAIL("no \"%s\" from the child; stdout: \"%s\"; stderr: \"%s\"",
			    text, c->out.text, c->err.text);
		}
	}
}

void
child_kill(struct child *c, int sig)
{
	const char *end = sig == SIGKILL ? getenv("WEFT_KILL") : NULL;	/* counted.c */

	kill(c->pid, end != NULL ? atoi(end) : sig);
}

pid_t
child_pid(const struct child *c)
{
	return c->pid;
}

/*
 * Waits for the process itself: its streams may have ended long before, or may be held open by a
 * grandchild long after. WNOHANG in short steps needs no signal handler and no pidfd.
 */
static bool
reap(struct child *c, int *ret_wait_status)
{
	const struct timespec step = {.tv_nsec = 2000000};

	for (;;) {
		pid_t pid = waitpid(c->pid, ret_wait_status, WNOHANG);

		if (pid == c->pid)
			return true;
		if (pid < 0 && errno != EINTR)
			FAIL("waitpid: %s", strerror(errno));
		if (now_ms() >= c->deadline_ms)
			return false;
		nanosleep(&step, NULL);
	}
}

struct child_result
child_wait(struct child *c)
{
	struct child_result r = {0};
	int status;

	while (pump(c))
		continue;
	if (!reap(c, &status)) {
		r.timed_out = true;
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	r.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (c->out.fd >= 0)
		close(c->out.fd);
	if (c->err.fd >= 0)
		close(c->err.fd);
	r.out = c->out.text;
	r.out_len = c->out.len;
	r.err = c->err.text;
	r.err_len = c->err.len;
	free(c);
	return r;
}

struct child_result
child_run_with(const struct child_options *o, void (*fn)(void *), void *arg)
{
	return child_wait(child_start(o, fn, arg));
}

struct child_result
child_run(void (*fn)(void *), void *arg)
{
	return child_run_with(NULL, fn, arg);
}

struct child_result
child_run_test(const char *name, int limit_ms)
{
	const struct child_options o = {.limit_ms = limit_ms, .no_capture = true};
	const char *arguments[] = {name, NULL};

	return child_wait(start(&o, arguments));
}

void
child_result_free(struct child_result *r)
{
	free(r->out);
	free(r->err);
	r->out = r->err = NULL;
}
