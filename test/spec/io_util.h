/*
 * What the tests of I/O share: pairs of connected descriptors of every kind that can be waited
 * for, and bytes that tell whether they arrived as they were sent.
 */
#ifndef WEFT_TEST_SPEC_IO_UTIL_H
#define WEFT_TEST_SPEC_IO_UTIL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <weft.h>

#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SEC INT64_C(1000000000)

/* Upper bound for what should be quick, on a machine that does other things too. */
static inline int64_t
soon(void)
{
	return weft_in(30 * SEC * test_scale());
}

enum stream_kind {
	TCP,
	UNIX_SOCKET,
	UNIX_BLOCKING, /* O_NONBLOCK never set */
	PIPE,          /* [0] reads, [1] writes */
	PIPE_BLOCKING,
	STREAM_KINDS
};

static const char *const stream_names[STREAM_KINDS]
    __attribute__((unused)) = {"tcp", "unix", "unix, blocking", "pipe", "pipe, blocking"};

static inline int
port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	EXPECT_EQ(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	if (ss.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&ss)->sin_port);
	EXPECT_EQ(ss.ss_family, AF_INET6);
	return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
}

/* A listener on this machine; its "127.0.0.1:PORT" goes to address. */
static inline int
listen_local(char address[32])
{
	int fd = weft_listen("tcp", "127.0.0.1:0", 0);

	EXPECT(fd >= 0);
	snprintf(address, 32, "127.0.0.1:%d", port_of(fd));
	return fd;
}

static inline void
tcp_pair(int fd[2])
{
	char address[32];
	int listener = listen_local(address);

	fd[1] = weft_dial("tcp", address, soon());
	EXPECT(fd[1] >= 0);
	fd[0] = weft_accept(listener, NULL, NULL, soon());
	EXPECT(fd[0] >= 0);
	EXPECT_EQ(weft_close(listener), 0);
}

static inline void
stream_pair(enum stream_kind kind, int fd[2])
{
	switch (kind) {
	case TCP:
		tcp_pair(fd);
		break;
	case UNIX_SOCKET:
		EXPECT_EQ(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
		break;
	case UNIX_BLOCKING:
		EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		break;
	case PIPE:
		EXPECT_EQ(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
		break;
	default:
		EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
		break;
	}
}

static inline void
close_pair(int fd[2])
{
	EXPECT_EQ(weft_close(fd[0]), 0);
	EXPECT_EQ(weft_close(fd[1]), 0);
}

/* Byte number i of a stream that begins with seed. */
static inline unsigned char
pattern(uint64_t seed, uint64_t i)
{
	uint64_t x = (seed + i / 8) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned char)((x ^ (x >> 29)) >> (i % 8 * 8));
}

static inline void
fill_pattern(unsigned char *buf, size_t n, uint64_t seed, uint64_t from)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = pattern(seed, from + i);
}

static inline void
expect_pattern(const unsigned char *buf, size_t n, uint64_t seed, uint64_t from)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != pattern(seed, from + i))
			FAIL("byte %llu of the stream is 0x%02x, not 0x%02x",
			    (unsigned long long)(from + i), buf[i], pattern(seed, from + i));
}

/* Reads exactly n bytes. */
static inline void
read_all(int fd, void *buf, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = weft_read(fd, (char *)buf + got, n - got, soon());

		if (r <= 0)
			FAIL("read %zu of %zu bytes, then %zd", got, n, r);
		got += (size_t)r;
	}
}

/* Writes until fd takes no more. Returns how much it took. */
static inline size_t
fill_up(int fd)
{
	static char zeros[65536];
	size_t n = 0;
	ssize_t r;

	while ((r = weft_write(fd, zeros, sizeof(zeros), WEFT_NOW)) > 0)
		n += (size_t)r;
	EXPECT_EQ(r, -ETIMEDOUT);
	return n;
}

/* Lets what was just started get as far as it can: into its wait. */
static inline void
let_run(void)
{
	for (int i = 0; i < 20; i++)
		weft_yield();
	weft_sleep(2 * MS);
}

#endif /* WEFT_TEST_SPEC_IO_UTIL_H */
