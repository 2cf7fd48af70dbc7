/*
 * Bugs that the loop over all failures must find, planted: if one of these fails, the other tests
 * of this folder pass whatever the library does.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "inject.h"
#include "insist.h"
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void
expect_found(void (*bug)(void *), const char *said, const char *during)
{
	struct child_result r = child_run(bug, NULL);

	EXPECT_EQ(r.status, 1);
	EXPECT_CONTAINS(r.err, said);
	EXPECT_CONTAINS(r.err, during);
	child_result_free(&r);
}

/* ---- Who fails halfway forgets what he has ---- */

static void *volatile one, *volatile two;

static void
lose_memory(void)
{
	one = malloc(1000);
	two = malloc(1000);
	if (two == NULL)
		return;
	free(one);
	free(two);
}

static void
find_lost_memory(void *arg)
{
	(void)arg;
	refuse_each(lose_memory, "malloc");
}

TEST(memory_that_is_lost_at_a_failure)
{
	expect_found(find_lost_memory, "memory is lost", "call 2 of malloc gives nothing");
}

static void
lose_descriptor(void)
{
	int a = weft_open("/", O_RDONLY | O_CLOEXEC, 0, soon());
	int b = weft_open("/", O_RDONLY | O_CLOEXEC, 0, soon());

	if (a >= 0 && b >= 0)
		close_it(a);
	if (b >= 0)
		close_it(b);
}

static void
find_lost_descriptor(void *arg)
{
	(void)arg;
	refuse_patience_ms = 100;
	refuse_each(lose_descriptor, "open");
}

TEST(a_descriptor_that_is_lost_at_a_failure)
{
	expect_found(find_lost_descriptor, "descriptors are open", "call 2 of open fails");
}

/* ---- Who is told and does not listen ---- */

static void
write_once(void)
{
	char path[] = "/tmp/weft_planted_XXXXXX", text[100] = "text";
	int fd = mkstemp(path);

	EXPECT(fd >= 0);
	EXPECT_EQ(unlink(path), 0);
	(void)weft_pwrite(fd, text, sizeof(text), 0, soon());
	EXPECT_EQ(lseek(fd, 0, SEEK_END), 100);
	close_it(fd);
}

static void
find_lost_bytes(void *arg)
{
	(void)arg;
	refuse_each(write_once, "pwritev_nowait");
}

TEST(bytes_that_are_lost_at_a_failure)
{
	expect_found(find_lost_bytes, "lseek", "call 1 of pwritev");
}

/* ---- Who takes a signal for an error ---- */

static void
read_once(void)
{
	char c;
	int ends[2];

	EXPECT_EQ(pipe(ends), 0);
	EXPECT_EQ(write(ends[1], "c", 1), 1);
	EXPECT_EQ(read(ends[0], &c, 1), 1);
	close_it(ends[0]);
	close_it(ends[1]);
}

static void
find_heard_signal(void *arg)
{
	(void)arg;
	interrupt_each(read_once, "read(2)");
}

TEST(a_signal_that_is_heard)
{
	expect_found(find_heard_signal, "read(ends[0]", "call 1 of read(2) is interrupted");
}

/* ---- What is not tested any more ---- */

static void
do_nothing(void)
{
}

static void
find_nothing(void *arg)
{
	(void)arg;
	refuse_each(do_nothing, "open");
}

TEST(a_call_that_nobody_makes)
{
	expect_found(find_nothing, "no open was refused", "");
}
