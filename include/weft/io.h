/*
 * I/O on ordinary file descriptors that parks the goroutine, not its thread.
 *
 * Each call tries first and waits only if the kernel says EAGAIN. Any descriptor
 * will do: sockets, pipes, terminals and whatever else epoll(7) takes wait in the
 * poller, blocking ones too; of regular files what is in memory is read at once, and the
 * rest without stalling others (weft/file.h). Several goroutines may use one descriptor:
 * they wait in line.
 *
 * A signal never ends any of these (-EINTR is not returned). SIGPIPE is not raised:
 * a broken stream gives -EPIPE. Common results of all that wait: -ETIMEDOUT,
 * -ECANCELED, -EBADF (not open, or weft_close() by another goroutine).
 */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <weft/base.h>

struct addrinfo;

WEFT_BEGIN_DECLS

/** weft_read - as read(2): the bytes read, 0 at end of file, or a negative errno. */
WEFT_API ssize_t weft_read(int fd, void *buf, size_t n, int64_t deadline);
/** weft_write - all @n bytes unless it fails; then the bytes that went, or the error if none. */
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t n, int64_t deadline);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *v, int n, int64_t deadline);
/** weft_writev - as weft_write(), for several buffers. */
WEFT_API ssize_t weft_writev(int fd, const struct iovec *v, int n, int64_t deadline);
WEFT_API ssize_t weft_recv(int fd, void *buf, size_t n, int flags, int64_t deadline);
/** weft_send - as send(2): one message, or as many bytes of a stream as fit. */
WEFT_API ssize_t weft_send(int fd, const void *buf, size_t n, int flags, int64_t deadline);
WEFT_API ssize_t weft_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
    socklen_t *len, int64_t deadline);
WEFT_API ssize_t weft_sendto(int fd, const void *buf, size_t n, int flags,
    const struct sockaddr *to,
    socklen_t len, int64_t deadline);
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *m, int flags, int64_t deadline);
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *m, int flags, int64_t deadline);
/** weft_pread, weft_pwrite - at an offset, for regular files; never stall a processor. */
WEFT_API ssize_t weft_pread(int fd, void *buf, size_t n, off_t off, int64_t deadline);
WEFT_API ssize_t weft_pwrite(int fd, const void *buf, size_t n, off_t off, int64_t deadline);

/**
 * weft_sendfile - send @n bytes of @in_fd, from *@off on, to the socket @out_fd
 * @off: advanced by what was sent; the file's own offset is not used
 *
 * No copy through user space above 8 KiB. Returns the bytes sent (less than @n at the
 * end of the file, or when something failed on the way), or the error if none went.
 */
WEFT_API ssize_t weft_sendfile(int out_fd, int in_fd, off_t *off, size_t n, int64_t deadline);

/**
 * weft_copy - copy from @from to @to until @n bytes went or @from is at its end
 * @n:      SIZE_MAX: to the end
 * @copied: how many bytes arrived at @to, also when an error is returned; or NULL
 *
 * By whatever way their kinds allow: copy_file_range(2) between files, sendfile(2) or
 * splice(2) without a copy through user space, else a buffer. Files are read and written at
 * their own offsets. Waits for @from, then for @to; the @deadline is that of the whole copy
 * and also ends one that never waits, after the piece under way.
 *
 * Returns the bytes copied: @n, or fewer at the end of @from. Or why not all went: what
 * weft_read() or weft_write() return. Bytes read from a pipe or socket that could not be
 * written are lost then: go on with such a pair only if @copied is all that came.
 */
WEFT_API ssize_t weft_copy(int to, int from, size_t n, size_t *copied, int64_t deadline);

/** weft_accept - a new descriptor, non-blocking, close-on-exec, TCP_NODELAY. */
WEFT_API int weft_accept(int fd, struct sockaddr *from, socklen_t *len, int64_t deadline);
/** weft_connect - 0 when connected. */
WEFT_API int weft_connect(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline);
/** weft_poll - wait for poll(2) @events; their revents (> 0). */
WEFT_API int weft_poll(int fd, short events, int64_t deadline);

#define WEFT_READS 1	/* what takes from a descriptor: reads, receives, accepts */
#define WEFT_WRITES 2	/* what gives to it: writes, sends, connects */

/**
 * weft_set_deadline - a deadline of the descriptor, besides that of each call
 * @which: WEFT_READS, WEFT_WRITES, or both
 *
 * From now on a wait in @which ends with -ETIMEDOUT at the earlier of both deadlines, also one
 * under way: a past @deadline ends all of them at once. WEFT_FOREVER takes it away, and so does
 * weft_close(). As ever, what can go at once goes (Go: fails). Not for weft_poll().
 *
 * Returns 0, -EBADF, -EINVAL, -ENOMEM. Any goroutine or thread. (Go: SetReadDeadline and kin.)
 */
WEFT_API int weft_set_deadline(int fd, int which, int64_t deadline);

/**
 * weft_close - close @fd
 *
 * Waits on it in other goroutines end with -EBADF; the number is not given back to
 * the system before they have left. Returns 0 or what close(2) said.
 */
WEFT_API int weft_close(int fd);

/**
 * weft_listen - a listening socket
 * @network: "tcp", "tcp4", "tcp6" or "unix"
 * @address: "127.0.0.1:8080", "[::1]:0", ":80" (all addresses), "/path", "@abstract"
 * @backlog: <= 0 takes the system's maximum
 *
 * What is accepted has keep-alive on, as dialled sockets have.
 *
 * Returns the descriptor, -EINVAL (what cannot be parsed), -ENOENT (unknown name), or
 * what socket, bind or listen said.
 */
WEFT_API int weft_listen(const char *network, const char *address, int backlog);

/**
 * weft_dial - a connected socket; as weft_listen(), also "udp", "udp4", "udp6"
 *
 * Names are resolved without stalling others. All addresses are tried: those of TCP by RFC
 * 8305, both families by turns, the next one when the last has failed or after 250 ms, and the
 * first that answers wins; others one after the other. TCP has keep-alive on, 15 s.
 */
WEFT_API int weft_dial(const char *network, const char *address, int64_t deadline);

typedef struct weft_dial_options {	/* zero = defaults; size-versioned by the first member */
	size_t size;			/* sizeof(weft_dial_options) */
	const struct sockaddr *local;	/* bind to it; other families are left out */
	socklen_t local_len;
	int64_t delay;			/* ns of head start; 0 = 250 ms; < 0 = in turn */
	int64_t keepalive;		/* ns between probes of TCP; 0 = 15 s; < 0 = off */
	/* Called with each socket before it is used: 0, or an error, which is its address's. */
	int (*control)(int fd, void *arg);
	void *control_arg;
} weft_dial_options;

/** weft_dial_with - weft_dial() with options; NULL = defaults. */
WEFT_API int weft_dial_with(const weft_dial_options *o, const char *network, const char *address,
    int64_t deadline);

/**
 * weft_lookup - getaddrinfo(3) that parks
 *
 * Returns 0 and *@res for freeaddrinfo(3), -ENOENT no such name, -EAGAIN try later,
 * -EINVAL bad hints or service, -ENOMEM, -ETIMEDOUT, -ECANCELED.
 */
WEFT_API int weft_lookup(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res, int64_t deadline);

WEFT_END_DECLS

#endif /* WEFT_IO_H */
