/*
 * What the machine grants this process, and small files and variables that say so.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int
wf_os_affinity_count(void)
{
	/* 8192 processors; the kernel wants room for all it may have. */
	cpu_set_t set[8];
	int n;

	if (sched_getaffinity(0, sizeof(set), set) != 0)
		return 1;
	n = CPU_COUNT_S(sizeof(set), set);
	return n > 0 ? n : 1;
}

ssize_t
wf_os_read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < cap - 1) {
		ssize_t n = read(fd, buf + len, cap - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int e = errno;

			(void)close(fd);
			return -e;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	(void)close(fd);
	buf[len] = '\0';
	return (ssize_t)len;
}

const char *
wf_os_getenv(const char *name)
{
	return secure_getenv(name);
}
