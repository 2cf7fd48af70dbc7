/*
 * In a process that has closed its standard streams the next descriptors get their numbers. The
 * runtime's own must not: a report for stderr would end up in them.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
wait_without_stdio(void *arg)
{
	int fds[2];
	char c;

	(void)arg;
	if (pipe2(fds, O_NONBLOCK) != 0)
		_exit(10);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	/* The poller is made by the first wait. */
	if (weft_read(fds[0], &c, 1, weft_in(1000000)) != -ETIMEDOUT)
		_exit(11);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		char link[64], to[64] = "";

		/* The monitor reads files of /proc now and then: only what stays counts. */
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, to, sizeof(to) - 1) > 0 && strstr(to, "anon_inode") != NULL)
			_exit(20 + fd);
	}
	_exit(0);
}

TEST(own_descriptors_stay_above_the_standard_streams)
{
	struct child_result r = child_run(wait_without_stdio, NULL);

	EXPECT_EQ(r.status, 0);
	child_result_free(&r);
}
