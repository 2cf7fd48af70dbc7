/*
 * A profile's signal may come upon a goroutine at any instruction: when its labels have just been
 * replaced and those before are about to be freed, and while it ends and lets go of what it had
 * (src/sched/README.md, "Labels"). If it fails, a profile reads memory that is somebody else's.
 */
#define _GNU_SOURCE
#include "base/assert.h"
#include "test.h"

#include <weft.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_bool samples;

#ifdef WEFT_DEBUG_BUILD
static atomic_int n_unused, n_dropped;

/* The signal comes here, on this thread, now. */
static void
sample_at_points(const char *point)
{
	bool is_unused = strcmp(point, "labels.unused") == 0;

	if (!atomic_load(&samples) || (!is_unused && strcmp(point, "tags.dropped") != 0))
		return;
	atomic_fetch_add(is_unused ? &n_unused : &n_dropped, 1);
	raise(SIGPROF);
}

/* Before any thread of the runtime exists, and after test/lib/hold.c has set its own. */
static void __attribute__((constructor(102)))
set_hook(void)
{
	wf_point_hook = sample_at_points;
}
#endif

/* The profile is not compressed: is the text in it? */
static bool
has(int fd, const char *text)
{
	struct stat st;
	char *data;
	bool found;

	EXPECT_EQ(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	EXPECT(data != NULL);
	EXPECT_EQ(pread(fd, data, (size_t)st.st_size, 0), st.st_size);
	found = memmem(data, (size_t)st.st_size, text, strlen(text)) != NULL;
	free(data);
	return found;
}

static void
changes_and_ends(void *wg)
{
	EXPECT_EQ(weft_label_set("phase", "the-first"), 0);
	EXPECT_EQ(weft_label_set("phase", "the-second"), 0);
	raise(SIGPROF);
	EXPECT_EQ(weft_label_set("phase", NULL), 0);
	EXPECT_EQ(weft_label_set("phase", "the-third"), 0);
	weft_waitgroup_done(wg);
}

static void
start(weft_waitgroup *wg, const char *name)
{
	const weft_go_options o = { .size = sizeof(o), .name = name };

	weft_waitgroup_add(wg, 1);
	EXPECT_EQ(weft_go_with(&o, changes_and_ends, wg), 0);
}

/* What was freed is somebody else's from now on. */
static void
use_memory_again(void)
{
	void *blocks[256];

	for (size_t i = 0; i < 256; i++) {
		blocks[i] = malloc(48 + i % 64);
		EXPECT(blocks[i] != NULL);
		memset(blocks[i], '#', 48 + i % 64);
	}
	for (size_t i = 0; i < 256; i++)
		free(blocks[i]);
}

TEST(a_sample_never_meets_labels_that_were_freed)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);
	weft_waitgroup wg = {0};

	EXPECT(fd >= 0);
	EXPECT_EQ(weft_profile_cpu_start(1), 0);
	atomic_store(&samples, true);
	start(&wg, NULL);
	start(&wg, "has a name");
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
	while (weft_numgoroutine() != 1)
		weft_yield();
	atomic_store(&samples, false);
	use_memory_again();
	EXPECT_EQ(weft_profile_cpu_stop(fd), 0);
	EXPECT(has(fd, "phase"));
	EXPECT(has(fd, "the-second"));
#ifdef WEFT_DEBUG_BUILD
	/* When "the-first" was not used any more, it was not the goroutine's. */
	EXPECT(atomic_load(&n_unused) >= 4);
	EXPECT(atomic_load(&n_dropped) >= 2);
	EXPECT(!has(fd, "the-first"));
#endif
	close(fd);
}

/* A profile shares labels with the goroutine, and has them for itself when that has ended. */
TEST(a_profile_keeps_labels)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);
	weft_waitgroup wg = {0};

	EXPECT_EQ(weft_profile_cpu_start(1), 0);
	start(&wg, NULL);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
	while (weft_numgoroutine() != 1)
		weft_yield();
	use_memory_again();
	EXPECT_EQ(weft_profile_cpu_stop(fd), 0);
	EXPECT(has(fd, "the-second") && !has(fd, "the-third"));
	close(fd);
}
