/*
 * The parent's side: processes, statistics, printing. The child's side is child.c.
 */
#define _GNU_SOURCE
#include "lib/harness.h"

#include "lib/child.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_METRICS = 32, MAX_REPS = 101, NAME_MAX_LEN = 64 };

/* All values of one metric of the case that runs. */
struct metric {
	char name[NAME_MAX_LEN], unit[16];
	double v[MAX_REPS];
	int n;
};

static struct metric metrics[MAX_METRICS];
static int n_metrics;
static const char *bench_name;
static FILE *tsv;

static int
env_int(const char *name, int fallback)
{
	const char *s = getenv(name);

	return s != NULL && *s != '\0' ? atoi(s) : fallback;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* "12.3" or "12345": three digits that mean something, no exponent. */
static const char *
pretty(double v, char *buf, size_t n)
{
	double size = v < 0 ? -v : v;

	snprintf(buf, n, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", v);
	return buf;
}

static void
print_metric(struct metric *m, double others)
{
	char median[32], low[32], high[32];
	double mid;

	qsort(m->v, (size_t)m->n, sizeof(m->v[0]), compare);
	mid = m->n % 2 != 0 ? m->v[m->n / 2] : (m->v[m->n / 2 - 1] + m->v[m->n / 2]) / 2;
	printf("%-40s %10s %-8s (%s - %s, n=%d, others %.0f %%)\n", m->name,
	    pretty(mid, median, sizeof(median)), m->unit, pretty(m->v[0], low, sizeof(low)),
	    pretty(m->v[m->n - 1], high, sizeof(high)), m->n, others * 100);
	fflush(stdout);
	if (tsv != NULL) {
		fprintf(tsv, "%s\t%s\t%s\t%.6g\t%.6g\t%.6g\t%d\t%.2f\n", bench_name,
		    m->name, m->unit, mid, m->v[0], m->v[m->n - 1], m->n, others);
		fflush(tsv);
	}
}

/* "name\tunit\tvalue" from a child. */
static void
take_line(const char *case_name, char *line)
{
	char *unit = strchr(line, '\t'), *value = unit != NULL ? strchr(unit + 1, '\t') : NULL;
	char name[NAME_MAX_LEN];
	int i;

	if (value == NULL)
		return;
	*unit++ = '\0';
	*value++ = '\0';
	snprintf(name, sizeof(name), "%.38s%s%.24s", case_name, *line != '\0' ? "." : "", line);
	for (i = 0; i < n_metrics && strcmp(metrics[i].name, name) != 0; i++)
		;
	if (i == MAX_METRICS || metrics[i].n == MAX_REPS)
		return;
	if (i == n_metrics) {
		memset(&metrics[i], 0, sizeof(metrics[i]));
		memcpy(metrics[i].name, name, sizeof(name));
		snprintf(metrics[i].unit, sizeof(metrics[i].unit), "%.15s", unit);
		n_metrics++;
	}
	metrics[i].v[metrics[i].n++] = atof(value);
}

/* CPU seconds that all processes of the machine used, ever. */
static double
machine_busy(void)
{
	unsigned long long user, nice, sys, idle, iowait, irq, softirq;
	FILE *f = fopen("/proc/stat", "re");
	int n = 0;

	if (f != NULL) {
		n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &sys, &idle,
		    &iowait, &irq, &softirq);
		fclose(f);
	}
	if (n != 7)
		return 0;
	return (double)(user + nice + sys + irq + softirq) / (double)sysconf(_SC_CLK_TCK);
}

static double
children_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Reads what the child writes until it ends or its time is over. */
static int
collect(const struct bench_case *c, int fd, pid_t pid)
{
	int64_t end = bench_now() + (int64_t)(c->limit_s != 0 ? c->limit_s : 120) * 1000000000;
	char buf[4096];
	size_t n = 0;
	int status;

	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		int64_t left = (end - bench_now()) / 1000000;
		ssize_t got;
		char *line = buf, *eol;

		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			kill(pid, SIGKILL);
			printf("%-40s TIMED OUT\n", c->name);
			break;
		}
		got = read(fd, buf + n, sizeof(buf) - n - 1);
		if (got <= 0)
			break;
		n += (size_t)got;
		buf[n] = '\0';
		while ((eol = strchr(line, '\n')) != NULL) {
			*eol = '\0';
			take_line(c->name, line);
			line = eol + 1;
		}
		n -= (size_t)(line - buf);
		memmove(buf, line, n);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* One repetition. Returns the child's exit status, or 255. */
static int
run_once(char **argv, const struct bench_case *c)
{
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) != 0)
		return 255;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		bench_child_exec(argv[0], c, fds[1]);
	}
	close(fds[1]);
	status = pid > 0 ? collect(c, fds[0], pid) : 255;
	close(fds[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* All repetitions of a case. Returns false if one failed. */
static bool
run_case(char **argv, const struct bench_case *c, int reps)
{
	double busy = machine_busy(), own = children_cpu();
	int64_t start = bench_now();
	double wall, others;

	if (c->max_reps != 0 && reps > c->max_reps)
		reps = c->max_reps;
	n_metrics = 0;
	for (int i = 0; i < reps; i++) {
		int status;

		if (isatty(STDERR_FILENO))
			fprintf(stderr, "%s %d/%d\r", c->name, i + 1, reps);
		status = run_once(argv, c);
		if (status == BENCH_SKIPPED)
			return true;
		if (status != 0) {
			printf("%-40s FAILED (status %d)\n", c->name, status);
			return false;
		}
	}
	wall = (double)(bench_now() - start) / 1e9;
	others = (machine_busy() - busy - (children_cpu() - own)) / wall;
	for (int i = 0; i < n_metrics; i++)
		print_metric(&metrics[i], others < 0 ? 0 : others);
	return true;
}

static bool
is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(name, argv[i], strlen(argv[i])) == 0)
			return true;
	}
	return argc <= 1;
}

int
bench_main(int argc, char **argv, const struct bench_case *cases, size_t n)
{
	int reps = env_int("REPS", bench_quick() ? 3 : 5);
	const char *slash = strrchr(argv[0], '/'), *file = getenv("BENCH_TSV");
	bool ok = true;

	bench_name = slash != NULL ? slash + 1 : argv[0];
	if (argc == 3 && strcmp(argv[1], "--case") == 0)
		return bench_child_main(cases, n, argv[2]);
	if (file != NULL && *file != '\0')
		tsv = fopen(file, "ae");
	reps = reps < 1 ? 1 : reps > MAX_REPS ? MAX_REPS : reps;
	for (size_t i = 0; i < n; i++) {
		if (argc == 2 && strcmp(argv[1], "--list") == 0)
			puts(cases[i].name);
		else if (is_wanted(cases[i].name, argc, argv))
			ok &= run_case(argv, &cases[i], reps);
	}
	return ok ? 0 : 1;
}
