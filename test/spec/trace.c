/*
 * The calls of <weft/trace.h>: what they answer, and that what they write is a trace. Whether its
 * events are right is for Go's parser: test/trace/parse.sh.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define FREQUENCY_BATCH_HAS 8	/* the event of which each generation has one */

struct bytes {
	uint8_t *data;
	size_t n;
};

static struct bytes
contents(int fd)
{
	struct stat st;
	struct bytes b;

	EXPECT_EQ(fstat(fd, &st), 0);
	b.n = (size_t)st.st_size;
	b.data = malloc(b.n + 1);
	EXPECT_EQ(pread(fd, b.data, b.n, 0), st.st_size);
	return b;
}

static uint64_t
varint(const struct bytes *b, size_t *at)
{
	uint64_t v = 0;

	for (int shift = 0;; shift += 7) {
		EXPECT(*at < b->n);
		v |= (uint64_t)(b->data[*at] & 127) << shift;
		if (b->data[(*at)++] < 128)
			return v;
	}
}

/* Goes through its batches, which must be whole. Returns how many generations there are. */
static int
generations(const struct bytes *b)
{
	size_t at = 16;
	int n = 0;

	EXPECT(b->n > 16 && memcmp(b->data, "go 1.22 trace\0\0\0", 16) == 0);
	while (at < b->n) {
		uint64_t size;

		EXPECT_EQ(b->data[at], 1);
		at++;
		for (int i = 0; i < 3; i++)
			(void)varint(b, &at);
		size = varint(b, &at);
		EXPECT(size > 0 && size <= b->n - at);
		n += b->data[at] == FREQUENCY_BATCH_HAS;
		at += size;
	}
	return n;
}

static bool
has(const struct bytes *b, const char *text)
{
	return memmem(b->data, b->n, text, strlen(text)) != NULL;
}

static int
memory_file(void)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	EXPECT(fd >= 0);
	return fd;
}

static void
work(void)
{
	for (int i = 0; i < 100; i++)
		weft_yield();
	weft_sleep(1 * MS);
}

TEST(a_trace_is_written_from_start_to_stop)
{
	int fd = memory_file(), copy = dup(fd);
	struct bytes b;

	EXPECT_EQ(weft_trace_is_on(), 0);
	EXPECT_EQ(weft_trace_start(copy), 0);
	close(copy);		/* weft has its own */
	EXPECT_EQ(weft_trace_is_on(), 1);
	work();
	weft_trace_log(0, "key of mine", "text of mine");
	EXPECT_EQ(weft_trace_stop(), 0);
	EXPECT_EQ(weft_trace_is_on(), 0);
	weft_trace_log(0, "key", "said too late");
	b = contents(fd);
	EXPECT(generations(&b) >= 1);
	EXPECT(has(&b, "key of mine") && has(&b, "text of mine") && !has(&b, "said too late"));
	EXPECT(has(&b, "weft_sleep"));
	EXPECT(has(&b, "test_fn_a_trace_is_written_from_start_to_stop"));
	free(b.data);
	close(fd);
}

TEST(one_trace_at_a_time)
{
	int fd = memory_file();

	EXPECT_EQ(weft_trace_stop(), -ESRCH);
	EXPECT_EQ(weft_trace_start(-1), -EBADF);
	EXPECT_EQ(weft_trace_start(fd), 0);
	EXPECT_EQ(weft_trace_start(fd), -EBUSY);
	EXPECT_EQ(weft_trace_stop(), 0);
	EXPECT_EQ(weft_trace_stop(), -ESRCH);
	/* And another, of which nothing of the first is left. */
	EXPECT_EQ(ftruncate(fd, 0), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	for (int i = 0; i < 5; i++) {
		struct bytes b;

		EXPECT_EQ(weft_trace_start(fd), 0);
		work();
		EXPECT_EQ(weft_trace_stop(), 0);
		b = contents(fd);
		EXPECT(generations(&b) >= 1);
		free(b.data);
		EXPECT_EQ(ftruncate(fd, 0), 0);
		EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	}
	close(fd);
}

TEST(a_write_that_fails_is_told)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	EXPECT(fd >= 0);
	EXPECT_EQ(weft_trace_start(fd), 0);
	work();
	EXPECT_EQ(weft_trace_stop(), -ENOSPC);
	close(fd);
}

TEST(the_flight_recorder_has_the_last_of_it)
{
	int fd = memory_file(), trace = memory_file();
	struct bytes b;

	EXPECT_EQ(weft_trace_flight_dump(fd), -ESRCH);
	EXPECT_EQ(weft_trace_flight_stop(), -ESRCH);
	EXPECT_EQ(weft_trace_flight_start(0, 0), 0);
	EXPECT_EQ(weft_trace_flight_start(0, 0), -EBUSY);
	EXPECT_EQ(weft_trace_is_on(), 1);
	weft_trace_log(0, "k", "before the trace");
	EXPECT_EQ(weft_trace_start(trace), 0);	/* beside it */
	work();
	weft_trace_log(0, "k", "while both are on");
	EXPECT_EQ(weft_trace_flight_dump(-1), -EBADF);
	EXPECT_EQ(weft_trace_flight_dump(fd), 0);
	b = contents(fd);
	EXPECT(generations(&b) >= 2);
	EXPECT(has(&b, "before the trace") && has(&b, "while both are on"));
	free(b.data);
	EXPECT_EQ(weft_trace_stop(), 0);
	b = contents(trace);
	EXPECT(generations(&b) >= 1);
	EXPECT(!has(&b, "before the trace") && has(&b, "while both are on"));
	free(b.data);
	EXPECT_EQ(weft_trace_is_on(), 1);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
	EXPECT_EQ(weft_trace_is_on(), 0);
	close(fd);
	close(trace);
}

static int
times(const struct bytes *b, const char *text)
{
	const uint8_t *at = b->data, *end = b->data + b->n;
	int n = 0;

	while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

/* They are older than the trace, and a generation that is forgotten takes nothing along. */
TEST(labels_are_said_in_each_generation)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), fd = memory_file();
	struct bytes b;

	EXPECT_EQ(weft_label_set("request", "17"), 0);
	EXPECT_EQ(weft_trace_flight_start(0, 0), 0);
	for (int i = 0; i < 3; i++) {
		weft_trace_log(0, "k", "of a generation");
		EXPECT_EQ(weft_trace_flight_dump(i < 2 ? null : fd), 0);	/* ends it */
	}
	EXPECT_EQ(weft_trace_flight_stop(), 0);
	b = contents(fd);
	EXPECT(times(&b, "of a generation") >= 3);
	EXPECT(times(&b, "{request: 17}") >= 3);
	free(b.data);
	close(fd);
	close(null);
}

/* Each dump ends a generation, so what is kept can be counted without waiting for time to pass. */
TEST(the_flight_recorder_forgets_the_oldest)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), fd = memory_file();
	char text[1000];
	struct bytes b;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	EXPECT_EQ(weft_trace_flight_start(3600 * 1000 * MS, 64 << 10), 0);
	weft_trace_log(0, "k", "in the beginning");
	for (int i = 0; i < 10; i++) {
		for (int n = 0; n < 20; n++) {
			(void)snprintf(text, 24, "%d %d", i, n);
			text[strlen(text)] = ' ';
			weft_trace_log(0, "k", text);
		}
		EXPECT_EQ(weft_trace_flight_dump(null), 0);
	}
	weft_trace_log(0, "k", "in the end");
	EXPECT_EQ(weft_trace_flight_dump(fd), 0);
	b = contents(fd);
	EXPECT(generations(&b) >= 1);
	EXPECT(b.n < 200 << 10);
	EXPECT(has(&b, "in the end") && !has(&b, "in the beginning"));
	free(b.data);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
	close(null);
	close(fd);
}

/* ---- from outside ---- */

static char path[] = "/tmp/weft-trace-XXXXXX";
static char variable[64];

/* The environment of a child that traces itself to the file. */
static struct child_options
traced(const char *name)
{
	static const char *env[2];
	struct child_options o = { .env = env };
	int fd = mkstemp(path);

	EXPECT(fd >= 0);
	close(fd);
	(void)snprintf(variable, sizeof(variable), "%s=%s", name, path);
	env[0] = variable;
	return o;
}

static struct bytes
file_contents(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct bytes b;

	EXPECT(fd >= 0);
	b = contents(fd);
	close(fd);
	unlink(path);
	return b;
}

static void
works(void *arg)
{
	(void)arg;
	work();
	weft_trace_log(0, "k", "near the end");
}

static void
panics(void *arg)
{
	works(arg);
	weft_panic("for a test");
}

TEST(weft_trace_writes_until_the_exit)
{
	struct child_options o = traced("WEFT_TRACE");
	struct child_result r = child_run_with(&o, works, NULL);
	struct bytes b = file_contents();

	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.err, "");
	EXPECT(generations(&b) >= 1 && has(&b, "near the end"));
	free(b.data);
	child_result_free(&r);
}

/* SCENARIOS 118: the last second before a crash is what one wants to see. */
TEST(a_crash_leaves_a_whole_trace)
{
	struct child_options o = traced("WEFT_TRACE");
	struct child_result r = child_run_with(&o, panics, NULL);
	struct bytes b = file_contents();

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "for a test");
	EXPECT(generations(&b) >= 1 && has(&b, "near the end"));
	free(b.data);
	child_result_free(&r);
}

TEST(a_crash_dumps_the_flight_recorder)
{
	struct child_options o = traced("WEFT_FLIGHT");
	struct child_result r = child_run_with(&o, panics, NULL);
	struct bytes b = file_contents();

	EXPECT_EQ(r.status, 2);
	EXPECT(generations(&b) >= 1 && has(&b, "near the end"));
	free(b.data);
	child_result_free(&r);
}

static void
signals(void *arg)
{
	struct stat st = { .st_size = 0 };
	const char *file = getenv("WEFT_FLIGHT");

	works(arg);
	EXPECT_EQ(stat(file, &st), 0);
	EXPECT_EQ(st.st_size, 0);
	raise(SIGUSR2);
	while (st.st_size == 0) {
		weft_sleep(1 * MS);
		EXPECT_EQ(stat(file, &st), 0);
	}
}

/* The child ends only after the file has something; what it has is whole by its end. */
TEST(a_signal_dumps_the_flight_recorder)
{
	struct child_options o = traced("WEFT_FLIGHT");
	struct child_result r = child_run_with(&o, signals, NULL);
	struct bytes b = file_contents();

	EXPECT_EQ(r.status, 0);
	EXPECT(b.n > 16);
	EXPECT(has(&b, "near the end"));
	free(b.data);
	child_result_free(&r);
}

TEST(a_file_that_can_not_be_written_is_told)
{
	static const char *const env[] = { "WEFT_TRACE=/nonesuch/file", NULL };
	struct child_options o = { .env = env };
	struct child_result r = child_run_with(&o, works, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.err, "weft: WEFT_TRACE=/nonesuch/file: No such file or directory\n");
	child_result_free(&r);
}

/* Cut short it would name another file: these would be the root, or below it. */
static void
expect_too_long(const char *asked, size_t n, const char *rest)
{
	char setting[8192], said[8192 + 64];
	const char *const env[] = { setting, NULL };
	struct child_options o = { .env = env };
	size_t at = (size_t)snprintf(setting, sizeof(setting), "%s=", asked);
	struct child_result r;

	memset(setting + at, '/', n);
	(void)snprintf(setting + at + n, sizeof(setting) - at - n, "%s", rest);
	(void)snprintf(said, sizeof(said), "weft: %s: File name too long\n", setting);
	r = child_run_with(&o, works, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_STR(r.err, said);
	child_result_free(&r);
}

TEST(a_name_that_is_too_long_is_told_not_cut)
{
	expect_too_long("WEFT_TRACE", 4096, "");
	expect_too_long("WEFT_FLIGHT", 4096, "");
	expect_too_long("WEFT_TRACE", 4095, "%p");
}

static void
deadlocks(void *arg)
{
	(void)arg;
	(void)weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

/* The tracer's thread is none that could bring work. */
TEST(a_deadlock_is_found_with_a_trace_on)
{
	struct child_options o = traced("WEFT_TRACE");
	struct child_result r = child_run_with(&o, deadlocks, NULL);
	struct bytes b = file_contents();

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
	EXPECT(generations(&b) >= 1);
	free(b.data);
	child_result_free(&r);
}
