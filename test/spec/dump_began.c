/*
 * A goroutine is known by the function that the user gave, also where the library runs one of its
 * own around it: of scopes, wait groups and flights. If not, a thousand workers of all kinds are
 * one line, "run", in every list, and each stack ends with names that users have never seen.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static weft_chan *never;

static int
work_in_scope(void *arg)
{
	(void)arg;
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	KEEP_FRAME();
	return 0;
}

static void
work_in_group(void *arg)
{
	(void)arg;
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	KEEP_FRAME();
}

static int
work_in_flight(void *arg)
{
	(void)arg;
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	KEEP_FRAME();
	return 0;
}

static void
ask(void *arg)
{
	static weft_flight flight;

	(void)arg;
	(void)weft_flight_do(&flight, "key", 3, work_in_flight, NULL, 0, WEFT_FOREVER);
}

/* What write(fd) wrote; the caller frees it. Zeroes are spaces. */
static char *
written(int (*write)(int fd))
{
	int fd = memfd_create("written", MFD_CLOEXEC);
	char *text;
	long n;

	EXPECT(fd >= 0);
	EXPECT_EQ(write(fd), 0);
	n = lseek(fd, 0, SEEK_END);
	text = calloc(1, (size_t)n + 1);
	EXPECT(text != NULL && n > 0);
	EXPECT_EQ(pread(fd, text, (size_t)n, 0), n);
	close(fd);
	for (long i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}

static int
dump(int fd)
{
	weft_dump(fd);
	return 0;
}

static int
profile(int fd)
{
	return weft_profile_write("goroutine", fd);
}

/* The goroutine whose stack ends with function is shown so, and nothing of ours is below. */
static void
expect_bottom(const char *text, const char *function)
{
	char frame[64], *at, *end;

	snprintf(frame, sizeof(frame), "\n%s(...)\n\t", function);
	at = strstr(text, frame);
	if (at == NULL)
		FAIL("no %s in:\n%s", function, text);
	end = strchr(at + strlen(frame), '\n');
	EXPECT(end != NULL);
	if (strncmp(end, "\ncreated by ", 12) != 0)
		FAIL("below %s is more:\n%s", function, text);
}

/* Of those that wait, and of those that have not begun. */
TEST(the_users_function_is_at_the_bottom)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	static weft_waitgroup group;
	char *text;
	int tries = 0;

	never = weft_chan_new(0, 0);
	EXPECT_EQ(weft_scope_go(s, work_in_scope, NULL), 0);
	EXPECT_EQ(weft_waitgroup_go(&group, work_in_group, NULL), 0);
	EXPECT_EQ(weft_go(ask, NULL), 0);
	while (weft_dump_blocked(-1, 0) < 4)
		weft_sleep(1000000);
	text = written(dump);
	expect_bottom(text, "work_in_scope");
	expect_bottom(text, "work_in_group");
	EXPECT_CONTAINS(text, "\nwork_in_flight(...)\n");	/* called by weft_try() */
	free(text);

	text = written(profile);
	EXPECT_CONTAINS(text, "work_in_scope");
	EXPECT_CONTAINS(text, "work_in_group");
	EXPECT_CONTAINS(text, "work_in_flight");
	EXPECT(strstr(text, "run_job") == NULL);
	free(text);

	/* Should we lose our P meanwhile, it runs: then another. */
	weft_gomaxprocs(1);
	text = NULL;
	do {
		free(text);
		EXPECT_EQ(weft_waitgroup_go(&group, work_in_group, NULL), 0);
		text = written(dump);
	} while (strstr(text, " [runnable]:\nwork_in_group(...)\n") == NULL && ++tries < 1000);
	EXPECT_CONTAINS(text, " [runnable]:\nwork_in_group(...)\n");
	free(text);
}
