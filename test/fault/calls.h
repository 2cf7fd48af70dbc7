/*
 * The functions of src/os/os.h that can fail, and how each does here: a line for each, expanded by
 * inject.c. The build takes the names from the lines, for the linker's --wrap.
 *
 *   FAILS(type, name, parameters, arguments, errors...)    one of the errors, and nothing is done
 *   HALVES(type, name, parameters, arguments, n, errors...)   or n is less than was asked for
 *   LATE(type, name, parameters, arguments, errors...)     done, and then an error
 *   LACKS(type, name, parameters, arguments, value)        that value: NULL, false
 *   SIGNALLED(name, type, parameters, arguments)           one of libc: a signal came before it
 *                                                          has done anything
 *
 * Whoever includes it defines these words; they mean nothing after it.
 *
 * Not here are those that return nothing that could say so, and those that fail only when they are
 * asked for the wrong thing (a signal that there is not, a descriptor that is not open):
 * test/fault/complete.sh has their names, and compares.
 */

/* clock.c, futex.c, thread.c. A futex wait that returns 0 was woken by nobody. */
LACKS(bool, has_ticks, (void), (), false)
FAILS(int64_t, thread_cpu, (int tid), (tid), ESRCH)
FAILS(int, futex_wait, (const _Atomic uint32_t *word, uint32_t expected, int64_t deadline),
    (word, expected, deadline), EINTR, EAGAIN, 0)
FAILS(int, thread_start, (void (*fn)(void *), void *arg, size_t stack_bytes, bool block),
    (fn, arg, stack_bytes, block), EAGAIN, ENOMEM)
FAILS(int, thread_stack, (uintptr_t *ret_lo, uintptr_t *ret_hi), (ret_lo, ret_hi), ENOMEM)
FAILS(int, thread_state, (int tid), (tid), EMFILE, ENOENT)
FAILS(int, thread_nice, (int tid, int delta), (tid, delta), EACCES)
FAILS(int, thread_count, (void), (), EMFILE)
FAILS(int, at_thread_exit, (void (*fn)(void *), void *arg), (fn, arg), ENOMEM)
FAILS(int, membarrier_init, (void), (), EPERM)
FAILS(int, membarrier, (void), (), EPERM)

/* memory.c */
LACKS(void *, map, (size_t bytes), (bytes), NULL)
FAILS(int, map_again, (void *p, size_t bytes), (p, bytes), ENOMEM)
FAILS(int, guard_install, (void *p, size_t bytes), (p, bytes), EINVAL, ENOMEM)
FAILS(int, make_ready,
    (void *const guards[], size_t guard_bytes, void *const pages[], size_t page_bytes, unsigned n),
    (guards, guard_bytes, pages, page_bytes, n), EBADF, EPERM, ENOMEM, EAGAIN)
FAILS(int, protect_none, (void *p, size_t bytes), (p, bytes), ENOMEM)
FAILS(int, dontneed, (void *p, size_t bytes), (p, bytes), EINVAL, EAGAIN)

/* cpu.c */
FAILS(ssize_t, read_file, (const char *path, char *buf, size_t cap), (path, buf, cap), EMFILE,
    ENOENT)

/* signal.c */
LACKS(void *, sigaltstack_new, (size_t bytes), (bytes), NULL)
FAILS(int, prof_timer, (int64_t ns), (ns), EAGAIN)

/* elf.c */
FAILS(int, peek, (void *to, uintptr_t from, size_t n), (to, from, n), EFAULT, EPERM)
LACKS(const void *, map_file, (const char *path, size_t *ret_bytes), (path, ret_bytes), NULL)
LACKS(bool, elf_find, (uintptr_t pc, struct wf_os_elf *ret), (pc, ret), false)
LACKS(bool, exe_path, (char *buf, size_t cap), (buf, cap), false)

/* fd.c */
HALVES(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), n, EIO)
HALVES(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), n, EIO)
VECTOR(readv, (int fd, const struct iovec *v, int n), (fd, v, n), EIO)
VECTOR(writev_quiet, (int fd, const struct iovec *v, int n), (fd, v, n), EIO)
VECTOR(readv_nowait, (int fd, const struct iovec *v, int n), (fd, v, n), EIO, EOPNOTSUPP)
VECTOR(writev_nowait, (int fd, const struct iovec *v, int n), (fd, v, n), EIO, EOPNOTSUPP)
VECTOR(preadv, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off), EIO)
VECTOR(pwritev, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off), ENOSPC)
VECTOR(preadv_nowait, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off), EIO,
    EAGAIN, EOPNOTSUPP)
VECTOR(pwritev_nowait, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off), ENOSPC,
    EAGAIN, EOPNOTSUPP)
HALVES(ssize_t, sendfile, (int out, int in, off_t *off, size_t n), (out, in, off, n), n, ENOMEM,
    EINVAL, EIO)
HALVES(ssize_t, copy_file_range, (int in, int out, size_t n), (in, out, n), n, EXDEV, EIO, ENOSPC)
HALVES(ssize_t, splice, (int in, int out, size_t n), (in, out, n), n, ENOMEM, EINVAL)
HALVES(ssize_t, splice_quiet, (int in, int out, size_t n), (in, out, n), n, ENOMEM, EINVAL)
FAILS(int, pipe, (int ret[2]), (ret), EMFILE, ENFILE)
FAILS(int, pipe_size, (int fd, int bytes), (fd, bytes), EPERM)
LATE(int, close, (int fd), (fd), EIO, EINTR)
FAILS(int, dup, (int fd), (fd), EMFILE)
FAILS(int, poll_wait, (int fd, short events, int timeout_ms), (fd, events, timeout_ms), ENOMEM)
FAILS(int, socket_id, (int fd, uint64_t *ret_id), (fd, ret_id), ENOBUFS)

/* file.c */
FAILS(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode), EMFILE, ENFILE)
FAILS(int, create, (const char *path, mode_t mode), (path, mode), EMFILE, ENOSPC)
FAILS(int, fsync, (int fd, bool data_only), (fd, data_only), EIO)
FAILS(int, ftruncate, (int fd, off_t length), (fd, length), ENOSPC)
FAILS(int, fchmod, (int fd, mode_t mode), (fd, mode), EPERM)
FAILS(int, fstat, (int fd, struct stat *ret), (fd, ret), EIO)
FAILS(int, stat, (const char *path, struct stat *ret), (path, ret), EIO)
FAILS(int, lstat, (const char *path, struct stat *ret), (path, ret), EIO)
FAILS(int, rename, (const char *from, const char *to), (from, to), EIO)
FAILS(int, unlink, (const char *path), (path), EIO)
FAILS(int, mkdir, (const char *path, mode_t mode), (path, mode), ENOSPC)
FAILS(int, rmdir, (const char *path), (path), EIO)
FAILS(int, scandir, (const char *path, struct dirent ***ret), (path, ret), ENOMEM, EMFILE)

/* socket.c */
HALVES(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), n, ENOMEM,
    ECONNRESET)
HALVES(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), n,
    ENOBUFS, ECONNRESET)
FAILS(ssize_t, recvfrom, (int fd, void *buf, size_t n, int flags, struct sockaddr *from,
    socklen_t *len), (fd, buf, n, flags, from, len), ENOMEM)
FAILS(ssize_t, sendto, (int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
    socklen_t len), (fd, buf, n, flags, to, len), ENOBUFS)
FAILS(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), ENOMEM)
FAILS(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), ENOBUFS)
FAILS(int, accept, (int fd, struct sockaddr *from, socklen_t *len), (fd, from, len), EMFILE, ENFILE,
    ENOBUFS, ECONNABORTED)
FAILS(int, socket, (int family, int type, int protocol), (family, type, protocol), EMFILE, ENOBUFS)
FAILS(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len),
    EADDRNOTAVAIL, ENOBUFS)
FAILS(int, bind, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len), EADDRINUSE)
FAILS(int, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE)
FAILS(int, setsockopt_int, (int fd, int level, int opt, int value), (fd, level, opt, value),
    ENOBUFS)
FAILS(int, getsockopt_int, (int fd, int level, int opt, int *ret), (fd, level, opt, ret), ENOBUFS)
FAILS(int, getpeername, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len), ENOBUFS)
FAILS(int, getsockname, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len), ENOBUFS)
NAMES(int, getaddrinfo, (const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res, int *ret_errno), (host, service, hints, res, ret_errno))

/* process.c */
FAILS(int, spawn, (const struct wf_os_spawn *s, int *ret_pid), (s, ret_pid), EAGAIN, ENOMEM)
FAILS(int, open_null, (bool writes), (writes), EMFILE)

/* epoll.c */
FAILS(int, epoll_create, (void), (), EMFILE, ENOMEM)
FAILS(int, epoll_ctl, (int epfd, int op, int fd, uint32_t events, uint64_t data),
    (epfd, op, fd, events, data), ENOMEM, ENOSPC)
FAILS(int, epoll_wait, (int epfd, struct epoll_event *ev, int n, int64_t timeout_ns),
    (epfd, ev, n, timeout_ns), EINTR, 0)
FAILS(int, eventfd, (void), (), EMFILE)

/* uring.c */
FAILS(int, uring_open, (struct wf_os_uring *u, uint32_t sq, uint32_t cq), (u, sq, cq), ENOMEM,
    EMFILE, EPERM)
LACKS(bool, uring_knows, (const struct wf_os_uring *u, const uint8_t *ops, size_t n), (u, ops, n),
    false)
FAILS(int, uring_submit, (const struct wf_os_uring *u, uint32_t n), (u, n), EAGAIN, EBUSY, EINTR,
    ENOMEM)
FAILS(int, uring_wait, (const struct wf_os_uring *u, int64_t timeout_ns), (u, timeout_ns), EINTR,
    EBUSY, ETIME)

/* Memory, of the library and of the test. */
BLOCK(malloc, (size_t n), (n))
BLOCK(calloc, (size_t count, size_t n), (count, n))
BLOCK(aligned_alloc, (size_t alignment, size_t n), (alignment, n))

/*
 * Of libc, as src/os calls it: "read(2)" for scenarios. Whoever calls os.h hears of no signal.
 */
SIGNALLED(read, ssize_t, (int fd, void *buf, size_t n), (fd, buf, n))
SIGNALLED(write, ssize_t, (int fd, const void *buf, size_t n), (fd, buf, n))
SIGNALLED(readv, ssize_t, (int fd, const struct iovec *v, int n), (fd, v, n))
SIGNALLED(writev, ssize_t, (int fd, const struct iovec *v, int n), (fd, v, n))
SIGNALLED(preadv, ssize_t, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off))
SIGNALLED(pwritev, ssize_t, (int fd, const struct iovec *v, int n, off_t off), (fd, v, n, off))
SIGNALLED(preadv2, ssize_t, (int fd, const struct iovec *v, int n, off_t off, int flags),
    (fd, v, n, off, flags))
SIGNALLED(pwritev2, ssize_t, (int fd, const struct iovec *v, int n, off_t off, int flags),
    (fd, v, n, off, flags))
SIGNALLED(sendfile, ssize_t, (int out, int in, off_t *off, size_t n), (out, in, off, n))
SIGNALLED(copy_file_range, ssize_t, (int in, off_t *in_off, int out, off_t *out_off, size_t n,
    unsigned flags), (in, in_off, out, out_off, n, flags))
SIGNALLED(splice, ssize_t, (int in, off_t *in_off, int out, off_t *out_off, size_t n,
    unsigned flags), (in, in_off, out, out_off, n, flags))
SIGNALLED(recv, ssize_t, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
SIGNALLED(send, ssize_t, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
SIGNALLED(recvfrom, ssize_t, (int fd, void *buf, size_t n, int flags, struct sockaddr *from,
    socklen_t *len), (fd, buf, n, flags, from, len))
SIGNALLED(sendto, ssize_t, (int fd, const void *buf, size_t n, int flags,
    const struct sockaddr *to, socklen_t len), (fd, buf, n, flags, to, len))
SIGNALLED(recvmsg, ssize_t, (int fd, struct msghdr *m, int flags), (fd, m, flags))
SIGNALLED(sendmsg, ssize_t, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
SIGNALLED(accept4, int, (int fd, struct sockaddr *from, socklen_t *len, int flags),
    (fd, from, len, flags))
SIGNALLED(poll, int, (struct pollfd *fds, nfds_t n, int timeout_ms), (fds, n, timeout_ms))
SIGNALLED(open, int, (const char *path, int flags, mode_t mode), (path, flags, mode))
SIGNALLED(fsync, int, (int fd), (fd))
SIGNALLED(fdatasync, int, (int fd), (fd))
SIGNALLED(ftruncate, int, (int fd, off_t length), (fd, length))

#undef FAILS
#undef HALVES
#undef VECTOR
#undef LATE
#undef LACKS
#undef NAMES
#undef BLOCK
#undef SIGNALLED
