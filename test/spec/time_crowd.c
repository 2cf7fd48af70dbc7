/*
 * A million goroutines asleep at once. ctest: timeout=240
 */
#include <stdio.h>
#include <stdlib.h>
#include "chan_util.h"

#define N_SLEEPERS 1000000L
/* Bytes a sleeper may need: a page of stack, its share of page tables and of records. */
#define SLEEPER_BYTES 6144L
/* In this time for each all are started, so that all sleep at once; else fewer do. */
#define HEAD_START (8 * US)

struct crowd {
	int64_t base;
	_Atomic long asleep, most, awake, early;
};

static void
sleep_till_its_time(void *arg)
{
	struct crowd *c = arg;
	uint64_t x = weft_goid() * UINT64_C(0x9e3779b97f4a7c15);
	int64_t due = c->base + (int64_t)((x >> 32) % (uint64_t)SECOND);
	int64_t ns = due - weft_now();
	long now = atomic_fetch_add(&c->asleep, 1) + 1;

	/* One after the other raises it: only a hint of how many there were. */
	if (now > atomic_load_explicit(&c->most, memory_order_relaxed))
		atomic_store_explicit(&c->most, now, memory_order_relaxed);
	if (ns > 0 && (weft_sleep(ns) != 0 || weft_now() < due))
		atomic_fetch_add(&c->early, 1);
	atomic_fetch_sub(&c->asleep, 1);
	atomic_fetch_add(&c->awake, 1);
}

/* The number behind key in a file, in units of so many bytes; INT64_MAX if there is none. */
static int64_t
bytes_in(const char *path, const char *key, int64_t unit)
{
	FILE *f = fopen(path, "re");
	char line[256];
	int64_t n = INT64_MAX;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		size_t skip = strlen(key);

		if (strncmp(line, key, skip) == 0 && strspn(line + skip, " \t0123456789") > 0)
			n = strtoll(line + skip, NULL, 10) * unit;
	}
	if (f != NULL)
		fclose(f);
	return n;
}

/* A third of what memory there is: the machine is not ours alone. */
static long
as_many_as_fit(void)
{
	int64_t free_bytes = bytes_in("/proc/meminfo", "MemAvailable:", 1024);
	int64_t limit = bytes_in("/sys/fs/cgroup/memory.max", "", 1);
	int64_t most = (free_bytes < limit ? free_bytes : limit) / 3 / SLEEPER_BYTES;
	long n = N_SLEEPERS;

	/* What a trace of so many takes, its reader can't: test/trace/stress_wait.sh. */
	if (test_scale() > 1 || getenv("WEFT_TEST_EMULATOR") != NULL ||
	    getenv("WEFT_TRACE") != NULL)
		n = N_SLEEPERS / 50;
	return most < n ? (long)most : n;
}

/* Each sleeps as long as it asked to, and nobody is forgotten. */
TEST(a_million_sleepers_wake_and_none_early)
{
	long n = as_many_as_fit();
	struct crowd c = {.base = weft_in(n * HEAD_START)};
	int64_t start = weft_now();

	for (long i = 0; i < n; i++)
		EXPECT_EQ(weft_go(sleep_till_its_time, &c), 0);
	while (atomic_load(&c.awake) != n)
		EXPECT_EQ(weft_sleep(10 * MS), 0);
	EXPECT_EQ(atomic_load(&c.early), 0);
	EXPECT_EQ(atomic_load(&c.asleep), 0);
	printf("%ld sleepers, up to %ld at once, %.1f s\n", n, atomic_load(&c.most),
	    (double)(weft_now() - start) / 1e9);
}
