/*
 * Counts the descriptors of this process, to see that none is leaked. The runtime's own are not
 * counted: it opens them whenever it first needs them, and keeps them.
 */
#ifndef WEFT_TEST_LIB_FDS_H
#define WEFT_TEST_LIB_FDS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

enum { FDS_MAX = 1024 };	/* numbers looked at */

static inline bool
is_runtimes_own(int fd)
{
	static const char *const own[]
	    = {"anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[io_uring]"};
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (strcmp(target, own[i]) == 0)
			return true;
	return false;
}

static inline int
open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < FDS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0 && !is_runtimes_own(fd);
	return n;
}

/* At most n are open, at once or soon: the monitor has one for a moment, now and then. */
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
