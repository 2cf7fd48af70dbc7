/*
 * Counts the descriptors of this process, to see that none is leaked. The runtime's own are not
 * counted: those that it opens whenever it first needs them, and keeps, and what of /proc and
 * of cgroups its monitor has open for a moment, now and then.
 */
#ifndef WEFT_TEST_LIB_FDS_H
#define WEFT_TEST_LIB_FDS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

static inline bool
is_runtimes_own(const char *fd)
{
	static const char *const own[]
	    = {"anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[io_uring]"};
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%.20s", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (strcmp(target, own[i]) == 0)
			return true;
	return strncmp(target, "/proc/", 6) == 0 || strncmp(target, "/sys/fs/cgroup/", 15) == 0;
}

/* -1: cannot be told, for want of a descriptor. */
static inline int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0;

	if (dir == NULL)
		return -1;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
			n += !is_runtimes_own(e->d_name);
	}
	closedir(dir);
	return n;
}

/* At most n are open, at once or soon: what was given back may not have arrived. */
static inline void
expect_open(int n)
{
	int64_t limit = weft_in(INT64_C(30000000000) * test_scale());

	while (open_fds() > n) {
		if (weft_now() > limit)
			FAIL("%d descriptors are open, not %d", open_fds(), n);
		weft_sleep(INT64_C(1000000));
	}
}

#endif /* WEFT_TEST_LIB_FDS_H */
