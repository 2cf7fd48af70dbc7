/*
 * Looking into a program, while each call of the system fails once. If one of these fails, who
 * looks for a fault in a program that is in need makes another: the dump hangs, a profile or a
 * trace loses a descriptor, or what is told is not so.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include <weft.h>

#include "fds.h"
#include "inject.h"
#include "insist.h"
#include "os/os.h"
#include "sched/stack.h"
#include "test.h"
#include "trace/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BYTES = 1 << 20 };

static char said[BYTES];

static int
new_file(void)
{
	int fd = memfd_create("said", MFD_CLOEXEC);

	EXPECT(fd >= 0);
	return fd;
}

/* What was written there, as a string, and how much. Closes it. */
static size_t
read_file(int fd)
{
	ssize_t n = pread(fd, said, BYTES - 1, 0);

	EXPECT(n >= 0);
	said[n] = '\0';
	EXPECT_EQ(close(fd), 0);
	return (size_t)n;
}

/* ---- One that waits, to be looked at ---- */

static weft_chan *never;

static void
wait_here(void *done)
{
	EXPECT_EQ(weft_chan_recv(never, NULL, soon()), 0);
	weft_waitgroup_done(done);
}

static weft_waitgroup waiting;

static void
begin_waiting(void)
{
	weft_go_options o = {.size = sizeof(o), .name = "patient"};
	int r;

	do
		never = weft_chan_new(0, 0);
	while (never == NULL);
	weft_waitgroup_add(&waiting, 1);
	INSIST(r, weft_go_with(&o, wait_here, &waiting), r == 0);
	(void)weft_yield();
}

static void
end_waiting(void)
{
	weft_chan_close(never);
	EXPECT_EQ(weft_waitgroup_wait(&waiting, soon()), 0);
	weft_chan_unref(never);
}

/* ---- Dumps ---- */

static bool
names_another(const char *dump)
{
	while ((dump = strstr(dump, "\ngoroutine ")) != NULL)
		if (atoi(dump += strlen("\ngoroutine ")) > 1)
			return true;
	return false;
}

/* A part of it is lost where a write is: never what comes after the next. */
static void
dump(void)
{
	int fd = new_file();

	begin_waiting();
	weft_dump(fd);
	weft_dump(fd);
	end_waiting();
	(void)read_file(fd);
	EXPECT(names_another(said));
	EXPECT_CONTAINS(said, "goroutine 1 ");
}

TEST(goroutines_are_dumped_after_any_failure)
{
	refuse_each(dump, "write elf_find peek");
}

TEST(goroutines_are_dumped_after_any_signal)
{
	interrupt_each(dump, "write(2)");
}

/* ---- Profiles ---- */

static bool
is_gzip_or_less(size_t n)
{
	return n == 0 || (unsigned char)said[0] == 0x0a || (unsigned char)said[0] == 0x1f;
}

static void
profiles(void)
{
	static const char *const names[] = {"goroutine", "block", "mutex"};
	int fd, r;

	begin_waiting();
	INSIST(r, weft_profile_cpu_start(1000), r == 0);
	EXPECT_EQ(weft_profile_cpu_start(1000), -EBUSY);
	for (int i = 0; i < 3; i++) {
		fd = new_file();
		r = weft_profile_write(names[i], fd);
		EXPECT(r == 0 || is_injected(r));
		EXPECT(is_gzip_or_less(read_file(fd)));
		EXPECT(r != 0 || said[0] != '\0');
	}
	fd = new_file();
	r = weft_profile_cpu_stop(fd);
	EXPECT(r == 0 || is_injected(r));
	EXPECT_EQ(weft_profile_cpu_stop(fd), -ESRCH);
	(void)read_file(fd);
	end_waiting();
}

TEST(profiles_begin_and_end_after_any_failure)
{
	weft_profile_block_rate(1);
	refuse_each(profiles, "prof_timer map elf_find exe_path map_file peek write");
}

static void
leaks(void)
{
	int fd, r;

	begin_waiting();
	fd = new_file();
	r = weft_profile_leak(fd, INT64_MAX);
	EXPECT(r == 0 || is_injected(r));
	(void)read_file(fd);
	EXPECT(strstr(said, "wait_here") == NULL);	/* `never` refers to its channel */
	end_waiting();
}

/* All memory is read by it: not each call is refused, but the first ones of each kind. */
TEST(nobody_is_called_a_leak_after_any_failure)
{
	static const char *const functions[] = {"open", "preadv", "peek", "map"};
	int open = open_fds();

	if (test_scale() > 1)
		SKIP("libweft searches no memory with a sanitizer");
	for (int i = 0; i < 4; i++) {
		for (int n = 0; n < 6; n++) {
			inject_arm(functions[i], 0, n + 1);
			leaks();
			EXPECT(inject_disarm() > 0);
		}
	}
	EXPECT_EQ(open_fds(), open);
}

/* ---- Traces ---- */

static const char head[] = "go 1.22 trace";

static void
expect_trace(int fd, int r)
{
	size_t n = read_file(fd);

	EXPECT(r == 0 || r == -ENOBUFS || is_injected(r));
	if (r == 0)
		EXPECT(n > 100);
	if (n >= sizeof(head) - 1)
		EXPECT(memcmp(said, head, sizeof(head) - 1) == 0);
}

static void
traces(void)
{
	int fd = new_file(), r;

	INSIST(r, weft_trace_start(fd), r == 0);
	EXPECT_EQ(weft_trace_start(fd), -EBUSY);
	INSIST(r, weft_trace_flight_start(0, 0), r == 0);
	begin_waiting();
	weft_trace_log(0, "key", "text");
	end_waiting();
	r = weft_trace_stop();
	expect_trace(fd, r);
	fd = new_file();
	r = weft_trace_flight_dump(fd);
	expect_trace(fd, r);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
	EXPECT_EQ(weft_trace_flight_stop(), -ESRCH);
	EXPECT_EQ(weft_trace_stop(), -ESRCH);
}

TEST(traces_begin_and_end_after_any_failure)
{
	refuse_each(traces, "dup write malloc");
}

/* ---- Stacks of which the system will not take the memory back ---- */

static void
purge(void)
{
	static struct wf_stack *list[70];	/* 64 are kept */

	for (int i = 0; i < 70; i++) {
		while ((list[i] = wf_stack_get(64 << 10)) == NULL)
			continue;
		memset((char *)list[i]->hi - 4096, i, 4096);
	}
	for (int i = 0; i < 70; i++)
		wf_stack_put(list[i]);
	(void)wf_stack_scavenge(0, INT64_MAX);
}

TEST(free_stacks_are_used_again_after_any_failure)
{
	(void)weft_yield();	/* the runtime begins */
	refuse_these(purge, "dontneed");
}

/* ---- A stack for ThreadSanitizer, which shall know nothing of it (sched/fiber.c) ---- */

static int n_kept;

static void
renew(void)
{
	struct wf_stack *s;

	(void)weft_yield();	/* the runtime begins */
	do
		s = wf_stack_get(64 << 10);
	while (s == NULL);
	*(char *)(s->hi - 1) = 'x';
	wf_stack_renew(s);
	if (*(char *)(s->hi - 1) == 'x')
		n_kept++;
	else
		EXPECT_EQ(*(char *)(s->hi - 1), '\0');
	memset((char *)s->hi - 4096, 0, 4096);
	wf_stack_put(s);
}

TEST(a_stack_that_can_not_be_renewed_stays_as_it_was)
{
	refuse_these(renew, "map_again");
	EXPECT(n_kept > 0);
}

/* A session of the trace; returns whether its times were the processor's counter. */
static bool
trace_counts(void)
{
	int fd = new_file();
	bool counts;

	EXPECT_EQ(weft_trace_start(fd), 0);
	counts = wf_trace.clock.rate != 0;
	EXPECT_EQ(weft_trace_stop(), 0);
	EXPECT(read_file(fd) > 0);
	return counts;
}

/* The kernel can find out late that the counter is no clock: times would be wrong from then on. */
TEST(each_trace_asks_whether_the_counter_is_a_clock)
{
	if (!wf_os_has_ticks())
		SKIP("the counter is no clock here");
	EXPECT(trace_counts());
	inject_arm("has_ticks", 0, 1);
	EXPECT(!trace_counts());
	EXPECT_EQ(inject_disarm(), 1);
	EXPECT(trace_counts());
}
