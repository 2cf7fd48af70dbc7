/*
 * What memory the search for references goes through. A reference in what it leaves out is not
 * found, and a goroutine that lives is called leaked; and to read a device may do something.
 */
#define _GNU_SOURCE
#include "debug/reach_memory.h"

#include <weft.h>
#include "os/os.h"
#include "test.h"
#include "trace/block.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

TEST(what_programs_write_to_is_searched)
{
	static const char *const paths[] = { "", "[heap]", "[stack]", "[anon:arena]", "/srv/table",
		"/dev/shm/ring", "/dev/zero (deleted)", "/anon_hugepage (deleted)",
		"/mnt/huge/ring", "/dev/hugepages/ring", "/dev/hugepages1G/ring" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!wf_reach_is_memory("rw-p 0", paths[i]) ||
		    !wf_reach_is_memory("rw-s 0", paths[i]))
			FAIL("\"%s\" is left out", paths[i]);
	EXPECT(wf_reach_is_memory("r--p 0", ""));
}

TEST(devices_and_what_files_hold_are_left_alone)
{
	static const char *const paths[] = { "/dev/mem", "/dev/dri/card0", "/dev/uio0", "[vvar]",
		"[vsyscall]", "/dev/shmem", "/dev/huge" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (wf_reach_is_memory("rw-s 0", paths[i]))
			FAIL("\"%s\" is read", paths[i]);
	EXPECT(!wf_reach_is_memory("r--p 0", "/usr/lib/libc.so.6"));
	EXPECT(!wf_reach_is_memory("---p 0", ""));
	EXPECT(!wf_reach_is_memory("-w-p 0", ""));
}

#define MANY ((size_t)4 << 20)

static uintptr_t *
shuffled(size_t n)
{
	uintptr_t *words = malloc(n * sizeof(*words));

	EXPECT(words != NULL);
	for (size_t i = 0; i < n; i++)
		words[i] = i * (uintptr_t)0x9e3779b1 % n;	/* odd, and n a power of two */
	return words;
}

/* What is in no order is not found, and then who lives is called leaked. */
TEST(a_sort_puts_all_in_order)
{
	static struct reach_memory m = { .deadline = INT64_MAX };
	const size_t n = 1 << 15;
	uintptr_t *words = shuffled(n);

	EXPECT(wf_reach_sort(&m, words, 0, sizeof(*words)));
	EXPECT(wf_reach_sort(&m, words, n, sizeof(*words)));
	EXPECT(!m.is_late);
	for (size_t i = 0; i < n; i++)
		EXPECT_EQ(words[i], i);
	free(words);
}

/* Who asked for so long at most would wait for seconds while millions are sorted. */
TEST(a_sort_ends_when_it_is_late)
{
	static struct reach_memory m;
	uintptr_t *words = shuffled(MANY);

	m.deadline = wf_os_now() + 1000000;	/* far less than so many take */
	EXPECT(!wf_reach_sort(&m, words, MANY, sizeof(*words)));
	EXPECT(m.is_late);
	free(words);
}

/* Of those who are leaked several are made, and one must be told: as in spec/profile_leak.c. */
#define TIMES 4

static struct trace_block *block;

static void
receive(void *c)
{
	weft_chan_recv(c, NULL, WEFT_FOREVER);
}

static void
make_leaked(void *turn)
{
	weft_go_options o = { .size = sizeof(o), .name = "leaked" };
	weft_chan *c = weft_chan_new(0, 0);

	EXPECT_EQ(weft_go_with(&o, receive, c), 0);
	memcpy(block->data + (uintptr_t)turn * sizeof(c), &c, sizeof(c));
}

static bool
is_told(const char *name)
{
	int fd = memfd_create("leak", MFD_CLOEXEC);
	char text[4096];
	ssize_t n;

	EXPECT_EQ(weft_profile_leak(fd, INT64_MAX), 0);
	n = pread(fd, text, sizeof(text), 0);
	close(fd);
	return n > 0 && memmem(text, (size_t)n, name, strlen(name)) != NULL;
}

/*
 * A trace has stacks that were walked by frame pointers: of code without, they are any words, the
 * address of a channel too. With the flight recorder on nobody was found leaked.
 */
TEST(what_a_trace_remembers_is_no_reference)
{
#if defined(WF_ASAN) || defined(WF_TSAN)
	bool can_find = false;		/* there nobody is told by reference */
#else
	bool can_find = getenv("WEFT_TEST_EMULATOR") == NULL;
#endif

	block = wf_trace_block_new(false);
	EXPECT(block != NULL);
	for (uintptr_t turn = 0; turn < TIMES; turn++) {
		EXPECT_EQ(weft_go(make_leaked, (void *)turn), 0);
		while (weft_dump_blocked(-1, 0) != (int)turn + 1)
			weft_sleep(1000000);
	}
	EXPECT(is_told("leaked") || !can_find);
	wf_trace_block_free(block);
	wf_trace_block_trim();
}
