/*
 * The parent's side: who runs what, rounds, processes. The child's side is child.c, the figures
 * are in stats.c.
 */
#define _GNU_SOURCE
#include "lib/harness.h"

#include "lib/child.h"
#include "lib/peers.h"
#include "lib/stats.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_RUNNERS = 2 * PEERS_MAX };

/* Who runs a case: a program, or this one if path is NULL. */
struct runner {
	const char *path, *by;
	int max_reps;
	bool is_skipped;
};

static FILE *tsv;
static const char *bench_name;

static int
env_int(const char *name, int fallback)
{
	const char *s = getenv(name);

	return s != NULL && *s != '\0' ? atoi(s) : fallback;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
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
collect(const struct bench_case *c, const char *by, int round, int fd, pid_t pid)
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
			printf("%-40s %-8s TIMED OUT\n", c->name, by);
			break;
		}
		got = read(fd, buf + n, sizeof(buf) - n - 1);
		if (got <= 0)
			break;
		n += (size_t)got;
		buf[n] = '\0';
		while ((eol = strchr(line, '\n')) != NULL) {
			*eol = '\0';
			stats_take(c->name, by, round, line);
			line = eol + 1;
		}
		n -= (size_t)(line - buf);
		memmove(buf, line, n);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* One run. Returns the child's exit status, or 255. */
static int
run_once(const struct bench_case *c, const struct runner *r, int round)
{
	double busy = machine_busy(), own = children_cpu();
	int64_t start = bench_now();
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) != 0)
		return 255;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		bench_child_exec(r->path, c->name, r->by, c->procs, fds[1]);
	}
	close(fds[1]);
	status = pid > 0 ? collect(c, r->by, round, fds[0], pid) : 255;
	close(fds[0]);
	stats_others(r->by, (machine_busy() - busy - (children_cpu() - own)) /
	    ((double)(bench_now() - start) / 1e9));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* All who can run the case that cases[0] is the first of that name. Returns their number. */
static int
find_runners(const struct bench_case *cases, size_t n, struct runner to[MAX_RUNNERS])
{
	int k = 0, reps = cases[0].max_reps;

	for (size_t i = 0; i < n && k < MAX_RUNNERS; i++) {
		const char *by = bench_by(&cases[i]);

		if (strcmp(cases[i].name, cases[0].name) == 0 && peers_wanted(by))
			to[k++] = (struct runner){NULL, by, cases[i].max_reps, false};
	}
	for (int i = 0; i < peers_count() && k < MAX_RUNNERS; i++) {
		if (peers_has_case(i, cases[0].name))
			to[k++] = (struct runner){peers_path(i), peers_by(i), reps, false};
	}
	return k;
}

/* All rounds of a case, everybody once a round. Returns false if one failed. */
static bool
run_case(const struct bench_case *cases, size_t n, int reps)
{
	struct runner r[MAX_RUNNERS];
	int n_runners = find_runners(cases, n, r);
	bool ok = true;

	stats_reset();
	for (int round = 0; round < reps; round++) {
		for (int i = 0; i < n_runners; i++) {
			int status;

			if (r[i].is_skipped || (r[i].max_reps != 0 && round >= r[i].max_reps))
				continue;
			if (isatty(STDERR_FILENO))
				fprintf(stderr, "%s %d/%d %s\033[K\r", cases->name, round + 1, reps,
				    r[i].by);
			status = run_once(cases, &r[i], round);
			if (status == 0)
				continue;
			r[i].is_skipped = true;
			if (status == BENCH_SKIPPED)
				continue;
			printf("%-40s %-8s FAILED (status %d)\n", cases->name, r[i].by, status);
			ok = false;
		}
	}
	stats_print(bench_name, tsv);
	return ok;
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

static bool
is_first_of_its_name(const struct bench_case *cases, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (strcmp(cases[k].name, cases[i].name) == 0)
			return false;
	}
	return true;
}

int
bench_main(int argc, char **argv, const struct bench_case *cases, size_t n)
{
	int reps = env_int("REPS", bench_quick() ? 3 : 5);
	bool only_list = argc == 2 && strcmp(argv[1], "--list") == 0, ok = true;
	const char *file = getenv("BENCH_TSV");

	bench_name = base_name(argv[0]);
	if (argc == 4 && strcmp(argv[1], "--case") == 0)
		return bench_child_main(cases, n, argv[2], argv[3]);
	if (file != NULL && *file != '\0')
		tsv = fopen(file, "ae");
	if (!only_list)
		peers_find();
	reps = reps < 1 ? 1 : reps > STATS_MAX_RUNS ? STATS_MAX_RUNS : reps;
	for (size_t i = 0; i < n; i++) {
		if (!is_first_of_its_name(cases, i))
			continue;
		if (only_list)
			puts(cases[i].name);
		else if (is_wanted(cases[i].name, argc, argv))
			ok &= run_case(cases + i, n - i, reps);
	}
	return ok ? 0 : 1;
}
