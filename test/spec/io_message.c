/*
 * Messages: datagrams, sequenced packets, flags, descriptors sent along.
 */
#include "io_util.h"

#include <sys/un.h>

static int
udp_socket(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*ret =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	EXPECT_EQ(bind(fd, (struct sockaddr *)ret, sizeof(*ret)), 0);
	EXPECT_EQ(getsockname(fd, (struct sockaddr *)ret, &len), 0);
	return fd;
}

/* SCENARIOS 210, 212, 234. Each datagram is one message, also one of no bytes. */
TEST(datagrams_keep_their_edges)
{
	struct sockaddr_in a, b, from;
	socklen_t len = sizeof(from);
	int fd[2] = {udp_socket(&a), udp_socket(&b)};
	int64_t end = weft_in(20 * MS);
	char buf[16];

	EXPECT_EQ(weft_recvfrom(fd[0], buf, sizeof(buf), 0, NULL, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_recvfrom(fd[0], buf, sizeof(buf), 0, NULL, NULL, end), -ETIMEDOUT);
	EXPECT(weft_now() >= end);
	EXPECT_EQ(weft_sendto(fd[1], "hello", 5, 0, (struct sockaddr *)&a, sizeof(a), WEFT_NOW), 5);
	EXPECT_EQ(weft_sendto(fd[1], "", 0, 0, (struct sockaddr *)&a, sizeof(a), soon()), 0);
	EXPECT_EQ(
	    weft_sendto(fd[1], "long message", 12, 0, (struct sockaddr *)&a, sizeof(a), soon()),
	    12);
	EXPECT_EQ(weft_recvfrom(fd[0], buf, 16, 0, (struct sockaddr *)&from, &len, soon()), 5);
	EXPECT_EQ(from.sin_port, b.sin_port);
	EXPECT_EQ(weft_recvfrom(fd[0], buf, 16, 0, NULL, NULL, soon()), 0);
	EXPECT_EQ(weft_recv(fd[0], buf, 4, 0, soon()), 4); /* the rest of it is dropped */
	EXPECT_EQ(memcmp(buf, "long", 4), 0);
	EXPECT_EQ(weft_recv(fd[0], buf, 4, 0, weft_in(5 * MS)), -ETIMEDOUT);
	/* A short buffer and MSG_WAITALL: there is nothing to wait for in datagrams. */
	EXPECT_EQ(weft_sendto(fd[1], "xy", 2, 0, (struct sockaddr *)&a, sizeof(a), soon()), 2);
	EXPECT_EQ(weft_recv(fd[0], buf, 16, MSG_WAITALL, soon()), 2);
	/* Whoever is not connected must say where to. */
	EXPECT_EQ(weft_send(fd[1], "x", 1, 0, soon()), -EDESTADDRREQ);
	EXPECT_EQ(weft_write(fd[1], "x", 1, soon()), -EDESTADDRREQ);
	close_pair(fd);
}

/* A dialled UDP socket: read and write, and the port that nobody has is reported. */
TEST(udp_can_be_dialled)
{
	struct sockaddr_in a, from;
	socklen_t len = sizeof(from);
	int server = udp_socket(&a), client;
	char address[32], buf[8];

	snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(a.sin_port));
	client = weft_dial("udp", address, soon());
	EXPECT(client >= 0);
	EXPECT_EQ(weft_write(client, "ping", 4, soon()), 4);
	EXPECT_EQ(weft_write(client, "", 0, soon()), 0); /* a message too */
	EXPECT_EQ(weft_recvfrom(server, buf, 8, 0, (struct sockaddr *)&from, &len, soon()), 4);
	EXPECT_EQ(weft_recvfrom(server, buf, 8, 0, NULL, NULL, soon()), 0);
	EXPECT_EQ(weft_sendto(server, "pong", 4, 0, (struct sockaddr *)&from, len, soon()), 4);
	EXPECT_EQ(weft_read(client, buf, 8, soon()), 4);
	EXPECT_EQ(weft_close(server), 0);
	EXPECT_EQ(weft_write(client, "ping", 4, soon()), 4);
	EXPECT_EQ(weft_read(client, buf, 8, soon()), -ECONNREFUSED);
	EXPECT_EQ(weft_close(client), 0);
}

/* SCENARIOS 235. Unnamed peers, the end of a stream, packets in sequence. */
TEST(unix_datagrams_and_packets)
{
	struct sockaddr_un from;
	socklen_t len = sizeof(from);
	char buf[16];
	int fd[2];

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	EXPECT_EQ(weft_write(fd[1], "one", 3, soon()), 3);
	EXPECT_EQ(weft_write(fd[1], "two", 3, soon()), 3);
	EXPECT_EQ(weft_recvfrom(fd[0], buf, 16, 0, (struct sockaddr *)&from, &len, soon()), 3);
	EXPECT(len == 0 || len == sizeof(sa_family_t));
	EXPECT_EQ(weft_read(fd[0], buf, 16, soon()), 3);
	EXPECT_EQ(memcmp(buf, "two", 3), 0);
	EXPECT_EQ(weft_read(fd[0], buf, 16, weft_in(2 * MS)), -ETIMEDOUT);
	close_pair(fd);

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	EXPECT_EQ(weft_write(fd[1], "one", 3, soon()), 3);
	EXPECT_EQ(weft_write(fd[1], "two", 3, soon()), 3);
	EXPECT_EQ(weft_read(fd[0], buf, 16, soon()), 3);
	EXPECT_EQ(weft_close(fd[1]), 0);
	EXPECT_EQ(weft_read(fd[0], buf, 16, soon()), 3);
	EXPECT_EQ(weft_read(fd[0], buf, 16, soon()), 0);
	EXPECT_EQ(weft_close(fd[0]), 0);
}

/* A full datagram queue makes the sender wait, not lose. */
struct sender {
	int fd;
	int n;
};

static void
send_many(void *arg)
{
	struct sender *s = arg;
	char buf[2000] = "";

	for (int i = 0; i < s->n; i++) {
		memcpy(buf, &i, sizeof(i));
		EXPECT_EQ(weft_send(s->fd, buf, sizeof(buf), 0, soon()), sizeof(buf));
	}
}

TEST(datagrams_wait_for_room_and_arrive_in_order)
{
	weft_waitgroup wg = {0};
	char buf[2000];
	int fd[2];

	EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	struct sender s = {fd[1], 1000};

	EXPECT_EQ(weft_waitgroup_go(&wg, send_many, &s), 0);
	let_run();
	for (int i = 0; i < s.n; i++) {
		int got;

		EXPECT_EQ(weft_recv(fd[0], buf, sizeof(buf), 0, soon()), sizeof(buf));
		memcpy(&got, buf, sizeof(got));
		EXPECT_EQ(got, i);
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	close_pair(fd);
}

/* Flags mean what they mean in recv(2) and send(2). */
static void
send_in_pieces(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 5; i++) {
		weft_sleep(2 * MS);
		EXPECT_EQ(weft_send(fd, "ab", 2, 0, soon()), 2);
	}
}

TEST(flags_are_kept)
{
	weft_waitgroup wg = {0};
	char buf[16];
	int fd[2];

	stream_pair(TCP, fd);
	EXPECT_EQ(weft_recv(fd[0], buf, 16, MSG_DONTWAIT, WEFT_FOREVER), -EAGAIN);
	EXPECT_EQ(weft_send(fd[1], "abc", 3, 0, soon()), 3);
	EXPECT_EQ(weft_recv(fd[0], buf, 16, MSG_PEEK, soon()), 3);
	EXPECT_EQ(weft_recv(fd[0], buf, 16, MSG_DONTWAIT, WEFT_FOREVER), 3);
	EXPECT_EQ(weft_waitgroup_go(&wg, send_in_pieces, &fd[1]), 0);
	EXPECT_EQ(weft_recv(fd[0], buf, 10, MSG_WAITALL, soon()), 10);
	EXPECT_EQ(memcmp(buf, "ababababab", 10), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	/* What came before the deadline is not lost. */
	EXPECT_EQ(weft_send(fd[1], "xy", 2, 0, soon()), 2);
	EXPECT_EQ(weft_recv(fd[0], buf, 10, MSG_WAITALL, weft_in(20 * MS)), 2);
	EXPECT_EQ(weft_recv(fd[0], buf, 10, MSG_WAITALL, weft_in(5 * MS)), -ETIMEDOUT);
	fill_up(fd[1]);
	EXPECT_EQ(weft_send(fd[1], buf, 1, MSG_DONTWAIT, WEFT_FOREVER), -EAGAIN);
	close_pair(fd);
	EXPECT_EQ(pipe(fd), 0);
	EXPECT_EQ(weft_recv(fd[0], buf, 1, 0, soon()), -ENOTSOCK);
	EXPECT_EQ(weft_send(fd[1], buf, 1, 0, soon()), -ENOTSOCK);
	close_pair(fd);
}

/* Descriptors travel in messages. */
TEST(a_descriptor_is_sent_over_a_unix_socket)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = ""};
	char c = 'x';
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int fd[2], sent[2], got;

	stream_pair(UNIX_SOCKET, fd);
	stream_pair(PIPE, sent);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &sent[0], sizeof(int));
	EXPECT_EQ(weft_sendmsg(fd[1], &m, 0, soon()), 1);
	memset(&control, 0, sizeof(control));
	m.msg_controllen = sizeof(control.buf);
	EXPECT_EQ(weft_recvmsg(fd[0], &m, MSG_CMSG_CLOEXEC, soon()), 1);
	h = CMSG_FIRSTHDR(&m);
	EXPECT(h != NULL && h->cmsg_type == SCM_RIGHTS);
	memcpy(&got, CMSG_DATA(h), sizeof(int));
	EXPECT_EQ(weft_write(sent[1], "over", 4, soon()), 4);
	EXPECT_EQ(weft_read(got, &c, 1, soon()), 1);
	EXPECT_EQ(c, 'o');
	EXPECT_EQ(weft_close(got), 0);
	close_pair(sent);
	close_pair(fd);
}
