/*
 * Files, while each call of the system fails once. If one of these fails, a full disk, a limit or a
 * bad moment loses what a program wrote, or a descriptor, or tells the wrong story.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include <weft.h>

#include "inject.h"
#include "insist.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES = 20000 };

static char dir[] = "/tmp/weft_fault_XXXXXX", one[64], two[64];
static char out[BYTES], in[BYTES];

static void
write_all(int fd)
{
	ssize_t r;

	for (size_t at = 0; at < BYTES; at += (size_t)r)
		INSIST(r, weft_write(fd, out + at, BYTES - at, soon()), r > 0);
}

static void
expect_content(int fd)
{
	ssize_t r;

	memset(in, 0, sizeof(in));
	for (size_t at = 0; at < BYTES; at += (size_t)r)
		INSIST(r, weft_pread(fd, in + at, BYTES - at, (off_t)at, soon()), r > 0);
	EXPECT(memcmp(in, out, BYTES) == 0);
}

/* Its pieces at their places, in any order. */
static void
rewrite(int fd)
{
	ssize_t r;

	for (size_t at = 0; at < BYTES; at += (size_t)r) {
		size_t n = BYTES - at < 5000 ? BYTES - at : 5000;

		INSIST(r, weft_pwrite(fd, out + at, n, (off_t)at, soon()), r > 0);
	}
}

static void
copy_file(int to, int from)
{
	size_t done = 0, n;
	ssize_t r;

	EXPECT_EQ(lseek(from, 0, SEEK_SET), 0);
	do {
		INSIST(r, weft_copy(to, from, SIZE_MAX, &n, soon()), r >= 0);
		done += n;
	} while (n != 0 && done < BYTES);
	EXPECT_EQ(lseek(to, 0, SEEK_CUR), BYTES);
}

static int
open_it(const char *path, int flags)
{
	int fd;

	INSIST(fd, weft_open(path, flags, 0600, soon()), fd >= 0);
	return fd;
}

static void
names(void)
{
	struct dirent **list;
	struct stat st;
	int n;

	INSIST(n, weft_scandir(dir, &list, soon()), n >= 0);
	EXPECT_EQ(n, 4);	/* . and .., too */
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	INSIST(n, weft_stat(one, &st, soon()), n == 0);
	EXPECT_EQ(st.st_size, BYTES);
	INSIST(n, weft_lstat(two, &st, soon()), n == 0);
	EXPECT_EQ(st.st_size, BYTES);
	INSIST(n, weft_rename(two, one, soon()), n == 0);
	INSIST(n, weft_unlink(one, soon()), n == 0);
	INSIST(n, weft_rmdir(dir, soon()), n == 0);
}

static void
files(void)
{
	int a, b, r;
	struct stat st;

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	EXPECT(mkdtemp(dir) != NULL);
	EXPECT_EQ(rmdir(dir), 0);
	snprintf(one, sizeof(one), "%s/one", dir);
	snprintf(two, sizeof(two), "%s/two", dir);
	INSIST(r, weft_mkdir(dir, 0700, soon()), r == 0);
	a = open_it(one, O_RDWR | O_CREAT | O_CLOEXEC);
	b = open_it(two, O_RDWR | O_CREAT | O_CLOEXEC);
	write_all(a);
	expect_content(a);
	INSIST(r, weft_fsync(a, soon()), r == 0);
	INSIST(r, weft_ftruncate(a, 0, soon()), r == 0);
	rewrite(a);
	INSIST(r, weft_fdatasync(a, soon()), r == 0);
	INSIST(r, weft_fstat(a, &st, soon()), r == 0);
	EXPECT_EQ(st.st_size, BYTES);
	copy_file(b, a);
	expect_content(b);
	close_it(a);
	close_it(b);
	names();
}

TEST(what_was_written_is_there_after_any_failure)
{
	for (int i = 0; i < BYTES; i++)
		out[i] = (char)(i * 7 + i / 251);
	refuse_each(files,
	    "open close fsync|uring_submit ftruncate fstat stat lstat rename unlink mkdir rmdir "
	    "scandir preadv_nowait pwritev_nowait pwritev copy_file_range");
}

/* A signal is not an error: what it has interrupted is done all the same, and nobody hears. */
TEST(what_was_written_is_there_after_any_signal)
{
	for (int i = 0; i < BYTES; i++)
		out[i] = (char)(i * 7 + i / 251);
	interrupt_each(files, "open(2) ftruncate(2) preadv2(2) pwritev2(2) copy_file_range(2)");
}
