/*
 * For libFuzzer: what the kernel and whoever mounts cgroups write about processors. The input is
 * the files one after the other, with a NUL between them.
 *
 * runs=2000
 * fuzz: src/sched/numcpu.c
 */
#include "os/os.h"
#include "sched/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { FILES = 5, AFFINITY = 64 };

static const char *const names[FILES]
    = {"/cgroup", "/mountinfo", "/cpu.max", "/cpu.cfs_quota_us", "/cpu.cfs_period_us"};
static const uint8_t *content[FILES];
static size_t size[FILES];

ssize_t
wf_os_read_file(const char *path, char *buf, size_t cap)
{
	const char *name = strrchr(path, '/');

	for (int i = 0; name != NULL && i < FILES; i++) {
		size_t n = size[i] < cap ? size[i] : cap - 1;

		if (strcmp(name, names[i]) != 0 || content[i] == NULL)
			continue;
		memcpy(buf, content[i], n);
		buf[n] = '\0';
		return (ssize_t)n;
	}
	return -ENOENT;
}

int
wf_os_affinity_count(void)
{
	return AFFINITY;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int cpus;

	for (int i = 0; i < FILES; i++) {
		const uint8_t *end = n == 0 ? NULL : memchr(data, 0, n);

		size[i] = end != NULL ? (size_t)(end - data) : n;
		content[i] = n != 0 ? data : NULL;
		data += size[i] + (end != NULL);
		n -= size[i] + (end != NULL);
	}
	cpus = wf_numcpu();
	if (cpus < 2 || cpus > AFFINITY)
		abort();
	if (wf_numcpu_from("", 1) != 1)
		abort();
	return 0;
}
