/*
 * The child's side: pins itself, runs one case, writes values to the pipe.
 */
#define _GNU_SOURCE
#include "lib/child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { RESULT_FD = 3 };

/* The first n CPUs that we may use. Returns false if there are fewer. */
static bool
pin(int n)
{
	cpu_set_t all, some;

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return false;
	CPU_ZERO(&some);
	for (int i = 0; i < CPU_SETSIZE && n > 0; i++) {
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &some);
			n--;
		}
	}
	return n == 0 && sched_setaffinity(0, sizeof(some), &some) == 0;
}

/*
 * Ahead of whatever else runs, if we may. The session of its own is for autogroup: between two
 * sessions it is the group's niceness that counts, not the process's. BENCH_NICE=0 turns it off.
 */
static void
raise_priority(void)
{
	const char *wish = getenv("BENCH_NICE");
	int fd;

	if (wish != NULL && strcmp(wish, "0") == 0)
		return;
	if (setpriority(PRIO_PROCESS, 0, -20) != 0)
		return;
	if (setsid() < 0)
		return;
	fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "-20", 3) != 3)
		fprintf(stderr, "bench: no autogroup priority\n");
	close(fd);
}

/* Where a client of a server under test may run, so that the two do not share a CPU. */
static void
name_client_cpu(int procs)
{
	char cpu[16];
	cpu_set_t all;

	CPU_ZERO(&all);
	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &all) && procs-- <= 0) {
			snprintf(cpu, sizeof(cpu), "%d", i);
			setenv("BENCH_CLIENT_CPU", cpu, 1);
			return;
		}
	}
	unsetenv("BENCH_CLIENT_CPU");
}

const char *
bench_by(const struct bench_case *c)
{
	return c->by != NULL ? c->by : "weft";
}

void
bench_child_exec(const char *program, const char *name, const char *by, int procs, int fd)
{
	char text[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	name_client_cpu(procs);
	if (!pin(procs)) {
		fprintf(stderr, "%s: needs %d CPUs: skipped\n", name, procs);
		_exit(BENCH_SKIPPED);
	}
	raise_priority();
	snprintf(text, sizeof(text), "%d", procs);
	setenv("WEFT_MAXPROCS", text, 1);
	setenv("GOMAXPROCS", text, 1);
	if (fd != RESULT_FD) {
		dup2(fd, RESULT_FD);
		close(fd);
	}
	execl(program != NULL ? program : "/proc/self/exe", name, "--case", name, by, (char *)NULL);
	fprintf(stderr, "%s: cannot be run\n", program);
	_exit(255);
}

int
bench_child_main(const struct bench_case *cases, size_t n, const char *name, const char *by)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(cases[i].name, name) == 0 && strcmp(bench_by(&cases[i]), by) == 0) {
			prctl(PR_SET_NAME, name);
			cases[i].run(cases[i].arg);
			/* Not exit(): goroutines of the case may still run. */
			fflush(NULL);
			_exit(0);
		}
	}
	return 255;
}

void
bench_value(const char *what, const char *unit, double value)
{
	dprintf(RESULT_FD, "%s\t%s\t%.9g\n", what != NULL ? what : "", unit, value);
}

bool
bench_quick(void)
{
	const char *s = getenv("QUICK");

	return s != NULL && *s != '\0' && strcmp(s, "0") != 0;
}

long
bench_n(long n)
{
	return !bench_quick() ? n : n < 10 ? 1 : n / 10;
}

void
bench_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	_exit(BENCH_SKIPPED);
}

void
bench_fail(const char *why)
{
	fprintf(stderr, "failed: %s\n", why);
	_exit(1);
}

static int64_t
read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
bench_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t
bench_cpu(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

long
bench_status(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t n = strlen(field);
	char line[256];
	long v = -1;

	if (f == NULL)
		return -1;
	while (v < 0 && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, field, n) == 0 && line[n] == ':')
			v = atol(line + n + 1);
	}
	fclose(f);
	return v;
}

void
bench_lat_add(struct bench_lat *l, int64_t ns)
{
	if (l->n == l->room) {
		l->room = l->room != 0 ? 2 * l->room : 4096;
		l->ns = realloc(l->ns, l->room * sizeof(l->ns[0]));
		BENCH_CHECK(l->ns != NULL);
	}
	l->ns[l->n++] = ns;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void
bench_lat_report(struct bench_lat *l, const char *name)
{
	static const struct { const char *name; size_t permille; } at[] = {
	    {"p50", 500}, {"p90", 900}, {"p99", 990}, {"max", 1000}};
	char what[64];

	BENCH_CHECK(l->n > 0);
	qsort(l->ns, l->n, sizeof(l->ns[0]), compare);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		size_t k = l->n * at[i].permille / 1000;

		snprintf(what, sizeof(what), "%s_%s", name, at[i].name);
		bench_value(what, "us", (double)l->ns[k < l->n ? k : l->n - 1] / 1e3);
	}
}
