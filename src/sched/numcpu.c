/*
 * How many processors may this process use? The affinity mask, and the CPU bandwidth limit of its
 * cgroup and of all that one's ancestors, version 1 and 2 (Go: the leaf only, W21).
 *
 * root is put before each path: tests give a directory of their own.
 */
#define _GNU_SOURCE	/* strchrnul */
#include "sched/sched.h"

#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096

/* Where the cpu controller is mounted, and which part of the hierarchy is visible there. */
struct mount {
	char point[PATH_BYTES];
	char root[PATH_BYTES];
	bool is_v2;
};

/* The smaller of limit and quota / period, rounded up. */
static int
apply(int limit, long long quota, long long period)
{
	long long n;

	if (quota <= 0 || period <= 0)
		return limit;
	n = quota / period + (quota % period != 0);
	return n < limit ? (int)n : limit;
}

static long long
read_number(const char *root, const char *dir, const char *file)
{
	char path[2 * PATH_BYTES + 64], buf[64];

	snprintf(path, sizeof(path), "%s%s/%s", root, dir, file);
	return wf_os_read_file(path, buf, sizeof(buf)) > 0 ? strtoll(buf, NULL, 10) : -1;
}

/* The limit that one directory sets. */
static int
limit_of_dir(const char *root, const char *dir, bool is_v2, int limit)
{
	char path[2 * PATH_BYTES + 64], buf[128];
	long long quota, period;

	if (!is_v2)
		return apply(limit, read_number(root, dir, "cpu.cfs_quota_us"),
		    read_number(root, dir, "cpu.cfs_period_us"));
	snprintf(path, sizeof(path), "%s%s/cpu.max", root, dir);
	if (wf_os_read_file(path, buf, sizeof(buf)) <= 0)
		return limit;
	if (sscanf(buf, "%lld %lld", &quota, &period) != 2)	/* "max 100000" */
		return limit;
	return apply(limit, quota, period);
}

/* Is the word `cpu` in the comma-separated list? */
static bool
has_cpu(const char *list, size_t n)
{
	for (const char *p = list, *end = list + n; p < end;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t len = (size_t)((comma != NULL ? comma : end) - p);

		if (len == 3 && memcmp(p, "cpu", 3) == 0)
			return true;
		p += len + 1;
	}
	return false;
}

/* Finds the mount of the cpu controller in the text of mountinfo(5). */
static bool
find_mount(char *text, bool want_v2, struct mount *ret)
{
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char *dash = strstr(line, " - ");
		char type[32], super[1024];

		if (dash == NULL || sscanf(dash + 3, "%31s %*s %1023s", type, super) != 2)
			continue;
		if (want_v2 ? strcmp(type, "cgroup2") != 0 :
		    strcmp(type, "cgroup") != 0 || !has_cpu(super, strlen(super)))
			continue;
		if (sscanf(line, "%*s %*s %*s %4095s %4095s", ret->root, ret->point) != 2)
			continue;
		ret->is_v2 = want_v2;
		return true;
	}
	return false;
}

/* The process's path in the hierarchy, from the text of /proc/self/cgroup. */
static bool
find_path(const char *text, bool want_v2, char *ret)
{
	for (const char *line = text; *line != '\0';) {
		const char *end = strchrnul(line, '\n');
		const char *c1 = memchr(line, ':', (size_t)(end - line));
		const char *c2 = c1 == NULL ? NULL : memchr(c1 + 1, ':', (size_t)(end - c1 - 1));

		if (c2 != NULL &&
		    (want_v2 ? c2 == c1 + 1 : has_cpu(c1 + 1, (size_t)(c2 - c1 - 1)))) {
			size_t n = wf_min((size_t)(end - c2 - 1), (size_t)PATH_BYTES - 1);

			memcpy(ret, c2 + 1, n);
			ret[n] = '\0';
			return true;
		}
		line = *end == '\0' ? end : end + 1;
	}
	return false;
}

/* The least limit from the process's own directory up to the top of what is mounted. */
static int
limit_of_chain(const char *root, const struct mount *mnt, const char *path, int limit)
{
	char dir[2 * PATH_BYTES];
	size_t len = strlen(mnt->root), top = strlen(mnt->point);

	/* In a container the mount may show only the part below its own cgroup. */
	if (len > 1 && strncmp(path, mnt->root, len) == 0)
		path += len;
	snprintf(dir, sizeof(dir), "%s%s", mnt->point, strcmp(path, "/") == 0 ? "" : path);
	for (;;) {
		char *slash;

		limit = limit_of_dir(root, dir, mnt->is_v2, limit);
		slash = strrchr(dir, '/');
		if (slash == NULL || (size_t)(slash - dir) < top)
			return limit;
		*slash = '\0';
	}
}

static int
limit_of_version(const char *root, bool v2, int limit)
{
	static const size_t cap = 64 << 10;
	char path[PATH_BYTES], name[PATH_BYTES], *text = malloc(cap);
	struct mount *mnt = malloc(sizeof(*mnt));

	if (text == NULL || mnt == NULL)
		goto out;
	snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	if (wf_os_read_file(name, text, cap) <= 0 || !find_path(text, v2, path))
		goto out;
	snprintf(name, sizeof(name), "%s/proc/self/mountinfo", root);
	if (wf_os_read_file(name, text, cap) <= 0 || !find_mount(text, v2, mnt))
		goto out;
	limit = limit_of_chain(root, mnt, path, limit);
out:
	free(mnt);
	free(text);
	return limit;
}

int
wf_numcpu_from(const char *root, int affinity)
{
	int limit = limit_of_version(root, true, INT32_MAX);

	limit = limit_of_version(root, false, limit);
	/* As Go: a quota below two processors still gets two, or nothing would run beside a hog. */
	return wf_min(affinity, wf_max(limit, 2));
}

const struct wf_numcpu_view *wf_numcpu_view;

int
wf_numcpu(void)
{
	if (wf_unlikely(wf_numcpu_view != NULL))
		return wf_numcpu_from(wf_numcpu_view->root, wf_numcpu_view->affinity);
	return wf_numcpu_from("", wf_os_affinity_count());
}
