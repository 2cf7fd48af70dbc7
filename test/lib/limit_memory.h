/*
 * For tests of what happens when memory is out. To be called in a process of its own (child.h).
 */
#ifndef WEFT_TEST_LIB_LIMIT_MEMORY_H
#define WEFT_TEST_LIB_LIMIT_MEMORY_H

#include "test.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* No more address space than there is now, and a little. */
static inline void
limit_memory(long more_bytes)
{
	FILE *f = fopen("/proc/self/statm", "r");
	struct rlimit limit;
	long pages;

	EXPECT(f != NULL);
	EXPECT_EQ(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	limit.rlim_cur = limit.rlim_max = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + more_bytes);
	EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

#endif /* WEFT_TEST_LIB_LIMIT_MEMORY_H */
