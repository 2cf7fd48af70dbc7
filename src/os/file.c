/*
 * Files by name, and what is done to them as a whole. These block while a disk is asked.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int
result(int r)
{
	return r < 0 ? -errno : r;
}

int
wf_os_open(const char *path, int flags, mode_t mode)
{
	int r;

	do
		r = result(open(path, flags | O_CLOEXEC, mode));
	while (r == -EINTR);
	return r;
}

int
wf_os_create(const char *path, mode_t mode)
{
	return wf_os_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int
wf_os_fsync(int fd, bool data_only)
{
	int r;

	do
		r = result(data_only ? fdatasync(fd) : fsync(fd));
	while (r == -EINTR);
	return r;
}

int
wf_os_fchmod(int fd, mode_t mode)
{
	return result(fchmod(fd, mode));
}

int
wf_os_ftruncate(int fd, off_t length)
{
	int r;

	do
		r = result(ftruncate(fd, length));
	while (r == -EINTR);
	return r;
}

int
wf_os_fstat(int fd, struct stat *ret)
{
	return result(fstat(fd, ret));
}

int
wf_os_stat(const char *path, struct stat *ret)
{
	return result(stat(path, ret));
}

int
wf_os_lstat(const char *path, struct stat *ret)
{
	return result(lstat(path, ret));
}

int
wf_os_rename(const char *from, const char *to)
{
	return result(rename(from, to));
}

int
wf_os_unlink(const char *path)
{
	return result(unlink(path));
}

int
wf_os_mkdir(const char *path, mode_t mode)
{
	return result(mkdir(path, mode));
}

int
wf_os_rmdir(const char *path)
{
	return result(rmdir(path));
}

int
wf_os_scandir(const char *path, struct dirent ***ret)
{
	struct dirent **names;
	int r = result(scandir(path, &names, NULL, alphasort));

	if (r >= 0)
		*ret = names;
	return r;
}
