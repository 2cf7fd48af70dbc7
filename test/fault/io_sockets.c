/*
 * Sockets, pipes and names, while each call of the system fails once. If one of these fails, a
 * moment without memory or descriptors loses bytes of a connection, or a connection, or a server.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include <weft.h>

#include "inject.h"
#include "insist.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BYTES = 50000 };

static char out[BYTES], in[BYTES];

static void
read_all(int fd, size_t n)
{
	ssize_t r;

	memset(in, 0, n);
	for (size_t at = 0; at < n; at += (size_t)r)
		INSIST(r, weft_read(fd, in + at, n - at, soon()), r > 0);
	EXPECT(memcmp(in, out, n) == 0);
}

static void
write_all(int fd, size_t n)
{
	ssize_t r;

	for (size_t at = 0; at < n; at += (size_t)r)
		INSIST(r, weft_write(fd, out + at, n - at, soon()), r > 0);
}

/* ---- TCP ---- */

static int listener;

static void
echo(void *arg)
{
	static char buf[BYTES];
	int fd;
	ssize_t r;

	(void)arg;
	/* A connection whose making failed at the last moment has come in, too: at its end. */
	for (;;) {
		INSIST(fd, weft_accept(listener, NULL, NULL, soon()), fd >= 0);
		INSIST(r, weft_recv(fd, buf, BYTES, 0, soon()), r >= 0);
		if (r > 0)
			break;
		close_it(fd);
	}
	for (size_t at = (size_t)r; at < BYTES; at += (size_t)r)
		INSIST(r, weft_recv(fd, buf + at, BYTES - at, 0, soon()), r > 0);
	EXPECT(memcmp(buf, out, BYTES) == 0);
	for (size_t at = 0; at < BYTES; at += (size_t)r)
		INSIST(r, weft_send(fd, buf + at, BYTES - at, MSG_NOSIGNAL, soon()), r > 0);
	close_it(fd);
}

static void
tcp(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	weft_waitgroup all = {0};
	char address[32];
	int fd, r;

	INSIST(listener, weft_listen("tcp", "127.0.0.1:0", 0), listener >= 0);
	EXPECT_EQ(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(a.sin_port));
	INSIST(r, weft_waitgroup_go(&all, echo, NULL), r == 0);
	INSIST(fd, weft_dial("tcp", address, soon()), fd >= 0);
	write_all(fd, BYTES);
	read_all(fd, BYTES);
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	INSIST(r, (int)weft_read(fd, in, 1, soon()), r == 0);
	close_it(fd);
	close_it(listener);
}

TEST(every_byte_comes_back_after_any_failure)
{
	for (int i = 0; i < BYTES; i++)
		out[i] = (char)(i * 7 + i / 251);
	refuse_each(tcp, "socket bind listen accept connect recv send setsockopt_int close "
	    "getsockopt_int getpeername getsockname epoll_ctl|uring_submit "
	    "epoll_wait|uring_submit");
}

/* ---- Messages ---- */

static void
messages(void)
{
	int ends[2], r;
	char buf[100];
	struct iovec v = {.iov_base = out, .iov_len = 50};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	ssize_t n;

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
	INSIST(n, weft_sendto(ends[0], out, 70, 0, NULL, 0, soon()), n == 70);
	INSIST(n, weft_recvfrom(ends[1], buf, sizeof(buf), 0, NULL, NULL, soon()), n == 70);
	EXPECT(memcmp(buf, out, 70) == 0);
	INSIST(n, weft_sendmsg(ends[0], &m, 0, soon()), n == 50);
	v = (struct iovec){.iov_base = buf, .iov_len = sizeof(buf)};
	INSIST(n, weft_recvmsg(ends[1], &m, 0, soon()), n == 50);
	INSIST(r, weft_poll(ends[1], POLLOUT, soon()), r == POLLOUT);
	close_it(ends[0]);
	close_it(ends[1]);
}

TEST(messages_stay_whole_after_any_failure)
{
	for (int i = 0; i < BYTES; i++)
		out[i] = (char)(i * 7 + i / 251);
	refuse_each(messages, "sendto recvfrom sendmsg recvmsg");
}

/* ---- Waiting for long: is the number still the same socket? (poll/README.md) ---- */

static void
read_one(void *fd)
{
	char c = 0;
	ssize_t r;

	INSIST(r, weft_read((int)(intptr_t)fd, &c, 1, soon()), r == 1);
	EXPECT_EQ(c, 'x');
}

static void
patience(void)
{
	weft_waitgroup all = {0};
	int64_t until = soon();
	int ends[2], r;

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	INSIST(r, weft_waitgroup_go(&all, read_one, (void *)(intptr_t)ends[1]), r == 0);
	while (inject_made("socket_id") == 0 && weft_now() < until)
		INSIST(r, weft_sleep(1000000), r == 0);
	EXPECT_EQ(write(ends[0], "x", 1), 1);
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	close_it(ends[0]);
	close_it(ends[1]);
}

TEST(who_waits_for_long_is_served_after_any_failure)
{
	refuse_each(patience, "socket_id|uring_submit");
}

/* ---- What can not be asked without waiting: a terminal ---- */

static int ours, theirs;

static void
terminal(void)
{
	char line[] = "hello\n", buf[16];
	size_t n = 0;
	ssize_t r;

	while (n < 6) {
		INSIST(r, weft_write(ours, line + n, 6 - n, soon()), r > 0);
		n += (size_t)r;
	}
	for (n = 0; n < 6; n += (size_t)r)
		INSIST(r, weft_read(theirs, buf + n, sizeof(buf) - n, soon()), r > 0);
	EXPECT_EQ(n, 6);
	EXPECT(memcmp(buf, line, 6) == 0);
}

TEST(a_line_comes_through_a_terminal_after_any_failure)
{
	EXPECT_EQ(openpty(&ours, &theirs, NULL, NULL, NULL), 0);
	refuse_each(terminal, "readv|uring_submit writev_quiet|uring_submit");
}

/* ---- From one descriptor to another ---- */

static int from, to;

static void
drain(void *fd)
{
	read_all((int)(intptr_t)fd, BYTES);
}

static void
send_a_file(void)
{
	char path[] = "/tmp/weft_fault_XXXXXX";
	weft_waitgroup all = {0};
	int fd = mkstemp(path), ends[2];
	off_t off = 0;
	ssize_t r;

	EXPECT(fd >= 0);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(pwrite(fd, out, BYTES, 0), BYTES);
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	INSIST(r, weft_waitgroup_go(&all, drain, (void *)(intptr_t)ends[1]), r == 0);
	while (off < BYTES)
		INSIST(r, weft_sendfile(ends[0], fd, &off, (size_t)(BYTES - off), soon()), r > 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	close_it(ends[0]);
	close_it(ends[1]);
	close_it(fd);
}

TEST(a_file_is_sent_whole_after_any_failure)
{
	for (int i = 0; i < BYTES; i++)
		out[i] = (char)(i * 7 + i / 251);
	refuse_each(send_a_file, "sendfile");
}

static void
fill(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		write_all(from, BYTES);
	EXPECT_EQ(shutdown(from, SHUT_WR), 0);
}

static void
count(void *arg)
{
	size_t *ret_n = arg;
	ssize_t r;

	static char buf[BYTES];

	do {
		INSIST(r, weft_read(to, buf, sizeof(buf), soon()), r >= 0);
		*ret_n += (size_t)r;
	} while (r > 0);
}

/* What was read and cannot be written is lost, as the header says: then copied tells how much. */
static void
copy(void)
{
	weft_waitgroup all = {0};
	size_t arrived = 0, copied, n = 0;
	int a[2], b[2], r;
	ssize_t w;

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, a), 0);
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, b), 0);
	from = a[0];
	to = b[1];
	INSIST(r, weft_waitgroup_go(&all, fill, NULL), r == 0);
	INSIST(r, weft_waitgroup_go(&all, count, &arrived), r == 0);
	do {
		w = weft_copy(b[0], a[1], SIZE_MAX, &copied, soon());
		EXPECT(w >= 0 || w == injected());
		n += copied;
	} while (w < 0);
	EXPECT_EQ(shutdown(b[0], SHUT_WR), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	EXPECT_EQ(arrived, n);
	EXPECT(n <= 10 * BYTES);
	if (injected() == 0)
		EXPECT_EQ(n, 10 * BYTES);
	for (int i = 0; i < 2; i++) {
		close_it(a[i]);
		close_it(b[i]);
	}
}

TEST(a_copy_tells_what_arrived_after_any_failure)
{
	refuse_each(copy, "splice splice_quiet pipe pipe_size malloc");
}

/* ---- Names ---- */

static void
lookup(void)
{
	struct addrinfo *res = NULL;
	int r;

	INSIST(r, weft_lookup("localhost", "80", NULL, &res, soon()), r == 0);
	EXPECT(res != NULL);
	freeaddrinfo(res);
}

TEST(a_name_is_found_after_any_failure)
{
	refuse_each(lookup, "getaddrinfo calloc");
}

/* ---- Signals ---- */

/* A signal is not an error: what it has interrupted is done all the same, and nobody hears. */
TEST(every_byte_comes_through_after_any_signal)
{
	for (int i = 0; i < BYTES; i++)
		out[i] = (char)(i * 7 + i / 251);
	interrupt_each(tcp, "accept4(2) recv(2) send(2)");
	interrupt_each(messages, "sendto(2) recvfrom(2) sendmsg(2) recvmsg(2) poll(2)");
	interrupt_each(send_a_file, "sendfile(2)");
	interrupt_each(copy, "splice(2)");
	EXPECT_EQ(openpty(&ours, &theirs, NULL, NULL, NULL), 0);
	interrupt_each(terminal, "readv(2)|poll(2) writev(2)|poll(2)");
}
