/*
 * What the flight recorder keeps. If this fails it forgets the last seconds before a crash, or
 * grows until there is no memory.
 */
#include "debug/trace_kept.h"

#include "test.h"

#include <string.h>
#include <unistd.h>

#define SECOND ((int64_t)1000000000)
#define BYTES 1000

/* A generation that was finished at that second. */
static void
add(struct trace_kept *k, int at)
{
	struct trace_out bytes = { 0 };
	uint8_t *to = wf_trace_out_room(&bytes, BYTES);

	EXPECT(to != NULL);
	memset(to, at, BYTES);
	bytes.n = BYTES;
	bytes.at = at * SECOND;
	wf_trace_kept_add(k, &bytes);
}

/* With the one that began before them, of which a part may be in them. */
TEST(the_last_seconds_are_kept)
{
	struct trace_kept k = { .max_ns = 10 * SECOND, .max_bytes = 100 * BYTES };

	for (int at = 1; at <= 30; at++) {
		add(&k, at);
		EXPECT_EQ(k.oldest->at, wf_max(at - 11, 1) * SECOND);
		EXPECT_EQ(k.newest->at, at * SECOND);
	}
	/* Nobody wrote for long: what is older than the newest goes, but for the one before. */
	add(&k, 100);
	EXPECT_EQ(k.oldest->at, 30 * SECOND);
	EXPECT_EQ(k.bytes, 2 * BYTES);
	wf_trace_kept_drop(&k);
	EXPECT(k.oldest == NULL && k.newest == NULL && k.bytes == 0);
}

TEST(not_more_than_that_is_kept)
{
	struct trace_kept k = { .max_ns = 1000 * SECOND, .max_bytes = 5 * BYTES };

	for (int at = 1; at <= 30; at++) {
		add(&k, at);
		EXPECT_EQ(k.bytes, wf_min(at, 5) * BYTES);
	}
	EXPECT_EQ(k.oldest->at, 26 * SECOND);
	/* One that is too large by itself is all that there is. */
	k.max_bytes = BYTES / 2;
	add(&k, 31);
	EXPECT(k.oldest == k.newest && k.oldest->at == 31 * SECOND);
	wf_trace_kept_drop(&k);
}

TEST(it_is_written_from_the_oldest_on)
{
	struct trace_kept k = { .max_ns = 1000 * SECOND, .max_bytes = 3 * BYTES };
	uint8_t text[TRACE_HEADER_BYTES + 3 * BYTES + 1];
	int fd[2];

	EXPECT_EQ(pipe(fd), 0);
	for (int at = 1; at <= 4; at++)
		add(&k, at);
	EXPECT_EQ(wf_trace_kept_write(&k, fd[1]), 0);
	close(fd[1]);
	EXPECT_EQ(read(fd[0], text, sizeof(text)), sizeof(text) - 1);
	EXPECT(memcmp(text, TRACE_HEADER, TRACE_HEADER_BYTES) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(text[TRACE_HEADER_BYTES + i * BYTES], i + 2);
	close(fd[0]);
	wf_trace_kept_drop(&k);
}
