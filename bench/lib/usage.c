/*
 * Reads /proc and getrusage(2) for a process and its children.
 */
#define _GNU_SOURCE
#include "lib/usage.h"

#include "lib/harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The line "FIELD: value" of /proc/PID/FILE, without the field. Empty if the process is gone. */
static void
read_field(const char *pid, const char *file, const char *field, char value[64])
{
	char path[300], line[256];
	size_t n = strlen(field);
	FILE *f;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, field, n) == 0 && line[n] == ':') {
			snprintf(value, 64, "%.60s", line + n + 1);
			break;
		}
	}
	fclose(f);
}

static long
number_of(const char *pid, const char *file, const char *field)
{
	char value[64];

	read_field(pid, file, field, value);
	return atol(value);
}

/* This process and those that it forked, but not the load, which is another program. */
static bool
is_ours(const char *pid)
{
	char name[64];

	if (atol(pid) <= 0)
		return false;
	read_field(pid, "status", "Name", name);
	return strstr(name, "load") == NULL &&
	    (atol(pid) == getpid() || number_of(pid, "status", "PPid") == getpid());
}

void
usage_sample(void)
{
	long kib = 0, n_tasks = 0, n_processes = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	BENCH_CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		if (!is_ours(e->d_name))
			continue;
		kib += number_of(e->d_name, "smaps_rollup", "Pss");
		kib += number_of(e->d_name, "status", "VmPTE");
		n_tasks += number_of(e->d_name, "status", "Threads");
		n_processes++;
	}
	closedir(d);
	bench_value("memory", "MiB", (double)kib / 1024);
	bench_value("processes", "", (double)n_processes);
	bench_value("threads", "", (double)n_tasks);
	if (getenv("BENCH_PSTREE") != NULL) {
		char command[64];

		snprintf(command, sizeof(command), "pstree -pt %ld >&2", (long)getpid());
		BENCH_CHECK(system(command) == 0);
	}
}

struct usage
usage_of(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (struct usage){(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3, u.ru_nvcsw + u.ru_nivcsw};
}

void
usage_report(struct usage before)
{
	struct usage own = usage_of(RUSAGE_SELF), children = usage_of(RUSAGE_CHILDREN);

	bench_value("cpu", "ms", own.ms + children.ms - before.ms);
	bench_value("switches", "", (double)(own.switches + children.switches - before.switches));
}
