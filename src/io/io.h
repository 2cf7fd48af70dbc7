/*
 * What the files of io/ share: an operation on a descriptor is tried, and waits while the
 * system says EAGAIN. README.md. Everything here is called between wf_enter() and wf_leave().
 */
#ifndef WEFT_IO_IO_H
#define WEFT_IO_IO_H

#include <weft/io.h>

#include "base/compiler.h"
#include "poll/desc.h"

#define IO_VEC_MAX 1024		/* UIO_MAXIOV: what the kernel takes at a time */
#define IO_COPY_BYTES ((size_t)65536)	/* of a buffer: as much as a pipe holds */

/*
 * One operation. Lives on the stack of the call; the first member of what is particular to it.
 * try_fn asks the system without waiting: a result, or -EAGAIN: ask again when it is ready.
 */
struct io_op {
	ssize_t (*try_fn)(struct io_op *op, struct pd *pd);
	bool dontwait;		/* the user gave MSG_DONTWAIT: -EAGAIN is the result */
	bool knows_drained;	/* reads bytes, and need not ask when there are none (R7) */
	struct pd_receive *receive;	/* or NULL: as it could be asked of a socket */
	int64_t deadline;	/* of the whole call; filled in by wf_io_run() */
};

/* Does op on fd when its turn has come: its result, or -EBADF, -ETIMEDOUT, -ECANCELED, ... */
WF_PARKS ssize_t wf_io_run(int fd, enum pd_use dir, struct io_op *op, int64_t deadline);

/* What is left to be read or written: v[0..n) without the first skip bytes of v[0]. */
struct io_vec {
	const struct iovec *v;
	int n;
	size_t skip;
	size_t done;		/* bytes that went */
};

/* bytes more went. */
void wf_io_advance(struct io_vec *at, size_t bytes);
/* The next buffers, at most n_max of them and max bytes, in window. Returns how many. */
int wf_io_window(const struct io_vec *at, struct iovec *window, size_t max, int n_max);

/* Writes to be completed. */
struct io_write {
	struct io_op op;
	struct io_vec at;
};

/* Makes w an operation that writes all of v, and what it came to into what is returned. */
void wf_io_write_init(struct io_write *w, const struct iovec *v, int n);
ssize_t wf_io_write_result(const struct io_write *w, ssize_t r);

/*
 * sendfile(2) of n bytes at *off, or with off NULL at the file's own offset, to a descriptor that
 * is O_NONBLOCK. 0 also at the end of the file; *ret_done tells what went, after an error too.
 */
WF_PARKS ssize_t wf_io_sendfile(
    int out_fd, int in_fd, off_t *off, size_t n, size_t *ret_done, int64_t deadline);

/* As the public ones without weft_. */
WF_PARKS ssize_t wf_io_read(int fd, void *buf, size_t n, int64_t deadline);
WF_PARKS ssize_t wf_io_pread(int fd, void *buf, size_t n, off_t off, int64_t deadline);
WF_PARKS int wf_io_connect(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline);
WF_PARKS int wf_io_close(int fd);
WF_PARKS int wf_io_lookup(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret_res, int64_t deadline);

/* A connection is being made. Is it made? 0, -EAGAIN not yet, or why it was not. */
int wf_io_connected(int fd);

/*
 * Keep-alive as Go has it: after 15 s of silence, every 15 s, 9 times; or another time. < 0: off.
 * What is accepted has it from its listener.
 */
#define KEEPALIVE_S 15
#define KEEPALIVE_COUNT 9
void wf_io_keepalive(int fd, int64_t ns);

/* A copy of an answer of getaddrinfo(3), for freeaddrinfo(3), or NULL: no memory. */
struct addrinfo *wf_addrinfo_copy(const struct addrinfo *a);

/* A socket that the poller knows to be new: as wf_os_socket(). */
int wf_io_socket(int family, int type);

#endif /* WEFT_IO_IO_H */
