/*
 * Files and directories, and blocking calls of any kind, without stalling other goroutines and
 * without a thread for each goroutine that waits for a disk. weft_read(), weft_pwrite() and
 * their kin (weft/io.h) follow the same rules.
 *
 * What the page cache has is done at once. What must wait for a disk is done by io_uring(7) or
 * by a call that costs a thread meanwhile: at most WEFT_FILE_THREADS (environment, default 64)
 * at a time. More wait in line, first come, first served: the deadline and the cancellation of
 * the scope count there, and until the system has begun; what has begun is finished.
 *
 * Results: 0, or a negative errno as the call of the same name has it, or -ETIMEDOUT or
 * -ECANCELED; then nothing was done.
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <sys/types.h>
#include <weft/base.h>

struct dirent;
struct stat;

WEFT_BEGIN_DECLS

/**
 * weft_blocking - call a function that blocks its thread: a library's, or the system's
 *
 * Returns what @fn returned, or -ETIMEDOUT or -ECANCELED: it was not called. @fn runs on this
 * goroutine's stack and thread, holds one of the WEFT_FILE_THREADS slots, and must not call
 * weft functions that wait.
 */
WEFT_API int weft_blocking(int (*fn)(void *), void *arg, int64_t deadline);

/** weft_open - as open(2), always close-on-exec: a descriptor for weft_close(). */
WEFT_API int weft_open(const char *path, int flags, mode_t mode, int64_t deadline);
/** weft_fsync - everything written to @fd is on the disk; a turn of the disk, so milliseconds. */
WEFT_API int weft_fsync(int fd, int64_t deadline);
/** weft_fdatasync - likewise, without what only stat(2) would tell. */
WEFT_API int weft_fdatasync(int fd, int64_t deadline);
WEFT_API int weft_ftruncate(int fd, off_t length, int64_t deadline);
WEFT_API int weft_fstat(int fd, struct stat *ret, int64_t deadline);
WEFT_API int weft_stat(const char *path, struct stat *ret, int64_t deadline);
/** weft_lstat - of a symbolic link itself. */
WEFT_API int weft_lstat(const char *path, struct stat *ret, int64_t deadline);
WEFT_API int weft_rename(const char *from, const char *to, int64_t deadline);
WEFT_API int weft_unlink(const char *path, int64_t deadline);
WEFT_API int weft_mkdir(const char *path, mode_t mode, int64_t deadline);
WEFT_API int weft_rmdir(const char *path, int64_t deadline);
/**
 * weft_scandir - what is in a directory, by name, "." and ".." too
 * @ret: an array of as many entries as is returned; the caller gives each and it to free(3)
 */
WEFT_API int weft_scandir(const char *path, struct dirent ***ret, int64_t deadline);

WEFT_END_DECLS

#endif /* WEFT_FILE_H */
