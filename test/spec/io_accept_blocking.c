/*
 * A listening socket that the program made itself, with plain socket(2), so that it blocks. If it
 * fails, a server ported from threads hangs as a whole as soon as nobody connects: its accept
 * blocks in the kernel with a processor in its hands, deaf to its deadline.
 */
#include "io_util.h"

static int
blocking_listener(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	EXPECT_EQ(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	EXPECT_EQ(listen(fd, 10), 0);
	EXPECT_EQ(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

TEST(a_blocking_listener_obeys_the_deadline)
{
	struct sockaddr_in at;
	int fd = blocking_listener(&at);

	EXPECT_EQ(weft_accept(fd, NULL, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_accept(fd, NULL, NULL, weft_in(MS)), -ETIMEDOUT);
	/* It blocks as before, for whoever shares it. */
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_EQ(weft_close(fd), 0);
}

static void
accept_one(void *arg)
{
	int fd = weft_accept(*(int *)arg, NULL, NULL, soon());

	if (fd < 0)
		FAIL("accept: %s", strerror(-fd));
	EXPECT_EQ(weft_write(fd, "x", 1, soon()), 1);
	EXPECT_EQ(weft_close(fd), 0);
}

/* With one processor the accepter would take it to the kernel, and nobody could ever connect. */
TEST(a_blocking_listener_stops_nobody)
{
	struct sockaddr_in at;
	int listener = blocking_listener(&at);
	weft_waitgroup all = {0};

	weft_gomaxprocs(1);
	for (int i = 0; i < 10; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char c;

		EXPECT_EQ(weft_waitgroup_go(&all, accept_one, &listener), 0);
		weft_yield();
		EXPECT_EQ(weft_connect(fd, (struct sockaddr *)&at, sizeof(at), soon()), 0);
		EXPECT_EQ(weft_read(fd, &c, 1, soon()), 1);
		EXPECT_EQ(weft_close(fd), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	EXPECT_EQ(weft_close(listener), 0);
}
