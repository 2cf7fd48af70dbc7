/*
 * The CPU profile adds up: to all the time that was used, however seldom the kernel looks at its
 * timers, and over however many stacks. If it fails, somebody optimises the wrong function.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define FIELD_SAMPLE 2		/* of the profile */
#define FIELD_VALUE 2		/* of a sample */
#define DEPTH 13		/* 2^13 stacks */

struct total {
	long stacks;
	int64_t samples, ns;
};

static uint64_t
varint(const uint8_t **at)
{
	uint64_t v = 0;

	for (int shift = 0;; shift += 7) {
		v |= (uint64_t)(**at & 127) << shift;
		if (*(*at)++ < 128)
			return v;
	}
}

/* Field by field: its number, and its value or its bytes. Returns where the next begins. */
static const uint8_t *
next_field(const uint8_t *at, uint64_t *field, uint64_t *value, const uint8_t **bytes)
{
	uint64_t key = varint(&at);

	*field = key >> 3;
	*value = varint(&at);
	*bytes = at;
	return (key & 7) == 2 ? at + *value : at;
}

static void
add_sample(struct total *t, const uint8_t *at, const uint8_t *end)
{
	uint64_t field, value;
	const uint8_t *bytes;
	int values = 0;

	while (at < end) {
		at = next_field(at, &field, &value, &bytes);
		if (field != FIELD_VALUE)
			continue;
		if (values++ == 0)
			t->samples += (int64_t)value;
		else
			t->ns += (int64_t)value;
	}
	EXPECT_EQ(values, 2);
	t->stacks++;
}

/* Stops the profile. What is in it. */
static struct total
stop(void)
{
	struct total t = { 0, 0, 0 };
	int fd = memfd_create("profile", MFD_CLOEXEC);
	const uint8_t *data, *at, *bytes;
	uint64_t field, value;
	struct stat st;

	EXPECT(fd >= 0);
	EXPECT_EQ(weft_profile_cpu_stop(fd), 0);
	EXPECT_EQ(fstat(fd, &st), 0);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	EXPECT(data != MAP_FAILED);
	for (at = data; at < data + st.st_size;) {
		at = next_field(at, &field, &value, &bytes);
		if (field == FIELD_SAMPLE)
			add_sample(&t, bytes, at);
	}
	close(fd);
	return t;
}

static int64_t
used(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

TEST(all_time_is_charged)
{
	int64_t from = used(), all;
	struct total t;

	EXPECT_EQ(weft_profile_cpu_start(1000), 0);
	while (used() - from < 400 * MS)
		for (volatile int i = 0; i < 10000; i++)
			continue;
	all = used() - from;
	t = stop();
	EXPECT(t.samples > 0);
	/* What came after the last tick is not in it. */
	EXPECT(t.ns > all / 2);
	EXPECT(t.ns <= used() - from);
}

static volatile int sink;
static int one(int depth, unsigned path);

static __attribute__((noinline)) int
zero(int depth, unsigned path)
{
	if (depth == 0)
		return raise(SIGPROF);
	sink += path & 1 ? one(depth - 1, path >> 1) : zero(depth - 1, path >> 1);
	return 1;
}

static __attribute__((noinline)) int
one(int depth, unsigned path)
{
	if (depth == 0)
		return raise(SIGPROF) * 2;
	sink += 3 * (path & 1 ? one(depth - 1, path >> 1) : zero(depth - 1, path >> 1));
	return 2;
}

TEST(there_is_room_for_many_stacks)
{
	struct total t;

	EXPECT_EQ(weft_profile_cpu_start(1), 0);
	for (unsigned path = 0; path < 1u << DEPTH; path++)
		sink += zero(DEPTH, path);
	t = stop();
	/* Of a few the signal comes later, or from the timer just then. */
	EXPECT(t.stacks > (1 << DEPTH) * 3 / 4);
	EXPECT(t.samples >= t.stacks);
}
