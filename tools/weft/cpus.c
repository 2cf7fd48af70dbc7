/*
 * Processors: how many weft will use, and whether the cgroup pays for as many.
 *
 * The library rounds a quota up, and never below two, so that something runs beside a goroutine
 * that computes. Here the quota itself is of interest: what runs beyond it is throttled, for tens
 * of milliseconds at a time. Looks where cgroups are mounted by convention.
 */
#include "check.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

static int
affinity(void)
{
	/* 8192 processors: the kernel wants room for all it may have. */
	cpu_set_t set[8];

	if (sched_getaffinity(0, sizeof(set), set) != 0)
		return 1;
	return CPU_COUNT_S(sizeof(set), set);
}

/* The CPUs that the directory's own quota is worth; 0: no limit. */
static double
quota_of(const struct check *c, const char *dir)
{
	long long quota, period;
	char path[1200], text[128];

	snprintf(path, sizeof(path), "%s/cpu.max", dir);
	if (check_read(c, path, text, sizeof(text))) {	/* "max 100000" without a limit */
		if (sscanf(text, "%lld %lld", &quota, &period) != 2)
			return 0;
	} else {
		snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
		if (!check_read_number(c, path, &quota))
			return 0;
		snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
		if (!check_read_number(c, path, &period))
			return 0;
	}
	return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

/* The least quota from top/path upwards to top itself. */
static double
least_quota(const struct check *c, const char *top, const char *path, double least)
{
	char dir[1100];

	snprintf(dir, sizeof(dir), "%s%s", top, path);
	for (;;) {
		double q = quota_of(c, dir);
		char *slash = strrchr(dir, '/');

		if (q > 0 && (least <= 0 || q < least))
			least = q;
		if (slash == NULL || (size_t)(slash - dir) < strlen(top))
			return least;
		*slash = '\0';
	}
}

static double
cgroup_quota(const struct check *c)
{
	char text[8192], *save = NULL;
	double least = 0;

	if (!check_read(c, "/proc/self/cgroup", text, sizeof(text)))
		return 0;
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char list[256] = ",", top[300], path[800] = "";

		/* "0::/path" is version 2; "4:cpu,cpuacct:/path" is version 1. */
		if (sscanf(line, "0::%799[^\n]", path) == 1) {
			least = least_quota(c, "/sys/fs/cgroup", path, least);
		} else if (sscanf(line, "%*d:%250[^:]:%799[^\n]", list + 1, path) == 2) {
			strcat(list, ",");
			if (strstr(list, ",cpu,") == NULL)
				continue;
			list[strlen(list) - 1] = '\0';
			snprintf(top, sizeof(top), "/sys/fs/cgroup/%s", list + 1);
			least = least_quota(c, top, path, least);
		}
	}
	return least;
}

void
check_processors(struct check *c)
{
	int here = affinity(), used = weft_numcpu();
	double quota = cgroup_quota(c);

	if (quota <= 0)
		check_ok(c, "weft uses %d; this process may run on %d; no quota", used, here);
	else if (quota < used)
		check_bad(c, CHECK_WARN, "raise cpu.max of the cgroup, or set WEFT_MAXPROCS lower",
		    "weft uses %d, but the cgroup's quota is worth %.2f: the rest is throttled",
		    used, quota);
	else
		check_ok(c, "weft uses %d; this process may run on %d; the quota is worth %.2f",
		    used, here, quota);
}
