/*
 * weft top: what a process does, again and again: processors with their queues and threads, and
 * goroutines by what they are and wait for. Reads it from outside, as weft stacks does.
 */
#include "command.h"
#include "symbols.h"
#include "target.h"

#include <ncurses.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROCS_MAX 1024	/* as in the runtime */
#define PLACES 200		/* kinds of goroutines that are told apart */
#define NS_PER_S 1000000000

const char top_help[] =
	"Usage: weft top [OPTION]... PID\n"
	"\n"
	"Shows what process PID does: processors, queues, threads, and goroutines by the function\n"
	"that they began with and what they wait for, most first. q ends it.\n"
	"\n"
	"  weft top $(pidof server)\n"
	"  weft top --once 4711 | head     as plain text, once\n"
	"\n"
	"      --delay SECONDS   between two looks, 1 to 3600; else 1\n"
	"      --once            look once and print it; also if there is no terminal\n"
	"  -h, --help            show this and exit\n"
	"  -V, --version         show the version and exit\n"
	"\n"
	"The process is not stopped and not asked.\n"
	"\n"
	"Exit status: 0, 2 wrong usage, 3 the process can't be read or has ended, 4 a terminal of\n"
	"no known kind, or built without libdw or ncurses.\n";

enum { OPT_DELAY = OPT_FIRST, OPT_ONCE };

static const struct option options[] = {
	{ "delay", required_argument, NULL, OPT_DELAY },
	{ "once", no_argument, NULL, OPT_ONCE },
	OPT_COMMON
};

struct place {
	uint64_t fn;
	char reason[48];
	size_t n;
	int64_t since;		/* of the one that is there longest */
};

/* To the screen, or to standard output. */
static bool on_screen;

static __attribute__((format(printf, 1, 2))) void
put(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	/* Not vw_printw(), which crashes on terminals of a few lines (ncurses 6.4). */
	if (on_screen) {
		vsnprintf(text, sizeof(text), fmt, ap);
		(void)addstr(text);
	} else {
		vprintf(fmt, ap);
	}
	va_end(ap);
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static unsigned long long
sched_number(const struct target *t, const char *field)
{
	return target_get(t, (uintptr_t)t->layout.sched, field);
}

static const char *
p_status(const struct target *t, uint64_t status)
{
	if (status == target_offset(t, "p_status.IDLE"))
		return "idle";
	return status == target_offset(t, "p_status.RUNNING") ? "running" : "unused";
}

static void
put_processors(const struct target *t)
{
	uint64_t table = (uintptr_t)t->layout.sched + target_offset(t, "sched.p");
	unsigned long long n = sched_number(t, "sched.n_p");

	if (n > PROCS_MAX)	/* it is broken, or lies */
		n = PROCS_MAX;
	put("%4s %-8s %6s %7s %12s %9s %8s %s\n", "P", "status", "queue", "timers", "runs",
	    "steals", "thread", "goroutine");
	for (unsigned long long i = 0; i < n; i++) {
		uint64_t p = 0, m, g, status;
		unsigned queued;

		if (!target_read(t, &p, table + 8 * i, sizeof(p)) || p == 0)
			continue;
		status = target_get(t, p, "p.status");
		queued = (unsigned)target_get(t, p, "p.tail") -
		    (unsigned)target_get(t, p, "p.head");
		/* Read at two moments. */
		if (queued > target_offset(t, "runq.n"))
			queued = 0;
		put("%4llu %-8s %6u %7llu %12llu %9llu", i, p_status(t, status),
		    queued + (target_get(t, p, "p.next") != 0),
		    (unsigned long long)target_get(t, p, "p.timers"),
		    (unsigned long long)target_get(t, p, "p.picks"),
		    (unsigned long long)target_get(t, p, "p.steals"));
		m = target_get(t, p, "p.m");
		g = m != 0 ? target_get(t, m, "m.g") : 0;
		if (m != 0)
			put(" %8llu", (unsigned long long)target_get(t, m, "m.tid"));
		if (g != 0)
			put(" %llu", (unsigned long long)target_get(t, g, "g.id"));
		put("\n");
	}
}

static int
most_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

/* Sorts all into places. Returns how many places there are. */
static size_t
count(const struct goroutine *g, size_t n, struct place *places)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = 0;

		while (at < used && (places[at].fn != g[i].fn ||
		    strcmp(places[at].reason, g[i].reason) != 0))
			at++;
		if (at == PLACES)
			continue;
		if (at == used) {
			used++;
			places[at] = (struct place){.fn = g[i].fn, .since = g[i].since};
			memcpy(places[at].reason, g[i].reason, sizeof(places[at].reason));
		}
		places[at].n++;
		if (g[i].since < places[at].since)
			places[at].since = g[i].since;
	}
	qsort(places, used, sizeof(*places), most_first);
	return used;
}

static void
put_places(const struct target *t, const struct goroutine *g, size_t n)
{
	static struct place places[PLACES];
	size_t used = count(g, n, places);
	int64_t now = now_ns();

	put("\n%10s %-24s %10s  %s\n", "goroutines", "state", "longest", "began in");
	for (size_t i = 0; i < used; i++) {
		Dwfl_Module *module = dwfl_addrmodule(t->dwfl, places[i].fn);
		const char *name = NULL;
		int64_t age = now > places[i].since ? now - places[i].since : 0;

		if (module != NULL)
			name = dwfl_module_addrname(module, places[i].fn);
		put("%10zu %-24s %9.1fs  %s\n", places[i].n, places[i].reason,
		    (double)age / NS_PER_S,
		    places[i].fn == 0 ? "main" : name != NULL ? name : "??");
	}
}

static void
put_all(const struct target *t, const char *pid)
{
	size_t n;
	struct goroutine *g = target_goroutines(t, &n);

	put("process %s: %zu goroutines, %llu processors, %llu idle, %llu threads look for work, "
	    "%llu detached, %llu queued for all\n\n", pid, n, sched_number(t, "sched.procs"),
	    sched_number(t, "sched.idle_p"), sched_number(t, "sched.spinning"),
	    sched_number(t, "sched.detached"), sched_number(t, "sched.queued"));
	put_processors(t);
	put_places(t, g, n);
	free(g);
}

/* A key, KEY_RESIZE after a change of size, ERR after the delay, q if the terminal is gone. */
static int
next_key(int delay)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	if (poll(&in, 1, delay * 1000) > 0 && (in.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		return 'q';
	return getch();
}

/* Until q, or the end of the process. */
static int
watch(const struct target *t, const char *pid, int delay)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);
	int key = 0;
	char magic;

	if (screen == NULL) {
		fprintf(stderr, "weft top: can't use this terminal (TERM is %s); see --once\n",
		    getenv("TERM") != NULL ? getenv("TERM") : "not set");
		return EXIT_UNSUPPORTED;
	}
	on_screen = true;
	(void)cbreak();
	(void)noecho();
	(void)curs_set(0);
	timeout(0);
	while (key != 'q' && target_read(t, &magic, (uintptr_t)t->layout.sched, 1)) {
		(void)erase();
		put_all(t, pid);
		(void)refresh();
		key = next_key(delay);
	}
	(void)endwin();
	delscreen(screen);
	on_screen = false;
	if (key == 'q')
		return EXIT_OK;
	fprintf(stderr, "weft top: process %s has ended\n", pid);
	return EXIT_CANNOT_ATTACH;
}

int
top_main(const struct command *self, int argc, char **argv)
{
	bool once = !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO);
	int delay = 1, status = EXIT_OK, opt;
	struct target t;

	while ((opt = next_option(self, argc, argv, options)) != -1) {
		char *end;

		if (opt == OPT_ONCE) {
			once = true;
			continue;
		}
		delay = (int)strtol(optarg, &end, 10);
		if (*optarg < '0' || *optarg > '9' || *end != '\0' || delay < 1 || delay > 3600)
			usage_error(self, "--delay: not a time from 1 to 3600 seconds: %s", optarg);
	}
	if (argc - optind != 1)
		usage_error(self, "needs one process id");
	target_open(&t, self, argv[optind]);
	if (once)
		put_all(&t, argv[optind]);
	else
		status = watch(&t, argv[optind], delay);
	target_close(&t);
	return status;
}
