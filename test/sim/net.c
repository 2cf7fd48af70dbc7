/*
 * The poller and the I/O calls over the simulated network, with partial results, refusals after
 * readiness, spurious returns and stalled threads. If one of these fails, replay it:
 * WEFT_SIM_SEED=n.
 */
#include <weft.h>

#include "sim_util.h"

#include <errno.h>
#include <string.h>

enum { SEEDS = 100, CLIENTS = 4, BYTES = 3000 };

static void
run_with(const weft_sim_options *o, void (*fn)(void *))
{
	run_seeds(o, fn, SEEDS);
}

/* ---- Echo ---- */

static const char address[] = "127.0.0.1:8080";	/* nobody else is on that machine */
static weft_waitgroup clients;

static void
echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[512];
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf), WEFT_FOREVER)) > 0)
		EXPECT_EQ(weft_write(fd, buf, (size_t)n, WEFT_FOREVER), n);
	EXPECT_EQ(n, 0);
	EXPECT_EQ(weft_close(fd), 0);
}

static void
serve(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;

	for (;;) {
		fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER);
		if (fd == -EBADF)
			return;
		if (fd == -EMFILE) {
			weft_sleep(1000000);
			continue;
		}
		EXPECT(fd >= 0);
		EXPECT_EQ(weft_go(echo, (void *)(intptr_t)fd), 0);
	}
}

static int
dial(void)
{
	for (;;) {
		int fd = weft_dial("tcp", address, WEFT_FOREVER);

		if (fd != -EMFILE)
			return fd;
		weft_sleep(1000000);
	}
}

static void
talk(void *arg)
{
	int fd = dial(), sent = 0;
	unsigned char out[BYTES], in[BYTES];

	(void)arg;
	EXPECT(fd >= 0);
	for (int i = 0; i < BYTES; i++)
		out[i] = (unsigned char)weft_sim_random();
	while (sent < BYTES) {
		int n = 1 + (int)(weft_sim_random() % (uint64_t)(BYTES - sent)), got = 0;

		EXPECT_EQ(weft_write(fd, out + sent, (size_t)n, WEFT_FOREVER), n);
		while (got < n) {
			ssize_t r = weft_read(fd, in + sent + got, (size_t)(n - got),
			    weft_in((int64_t)3600 * 1000000000));

			EXPECT(r > 0);
			got += (int)r;
		}
		sent += n;
	}
	EXPECT(memcmp(in, out, BYTES) == 0);
	EXPECT_EQ(weft_close(fd), 0);
	weft_waitgroup_done(&clients);
}

static void
echoes(void *arg)
{
	int listener;

	(void)arg;
	do
		listener = weft_listen("tcp", address, 0);
	while (listener == -EMFILE);
	EXPECT(listener >= 0);
	EXPECT_EQ(weft_go(serve, (void *)(intptr_t)listener), 0);
	weft_waitgroup_add(&clients, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		EXPECT_EQ(weft_go(talk, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&clients, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_close(listener), 0);
}

TEST(every_byte_comes_back)
{
	run_with(NULL, echoes);
}

/* Descriptors run out now and then, while connections are made and accepted. */
TEST(a_shortage_of_descriptors_passes)
{
	weft_sim_options o = {.size = sizeof(o), .faults = WEFT_SIM_LUCK | WEFT_SIM_NO_FILES};

	run_with(&o, echoes);
}

/* ---- Deadlines and closing ---- */

static void
read_until_closed(void *arg)
{
	char c;

	EXPECT_EQ(weft_read((int)(intptr_t)arg, &c, 1, WEFT_FOREVER), -EBADF);
	weft_waitgroup_done(&clients);
}

static void
deadlines(void *arg)
{
	const int64_t minute = (int64_t)60 * 1000000000;
	int listener = weft_listen("tcp", address, 0), fd;
	int64_t due = weft_in(minute);
	char c;

	(void)arg;
	EXPECT(listener >= 0);
	EXPECT_EQ(weft_accept(listener, NULL, NULL, due), -ETIMEDOUT);
	EXPECT(weft_now() >= due && weft_now() < due + minute);
	fd = dial();
	EXPECT(fd >= 0);
	due = weft_in(minute);
	EXPECT_EQ(weft_read(fd, &c, 1, due), -ETIMEDOUT);
	EXPECT(weft_now() >= due && weft_now() < due + minute);
	weft_waitgroup_add(&clients, 3);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_go(read_until_closed, (void *)(intptr_t)fd), 0);
	weft_sleep((int64_t)(weft_sim_random() % 20000));
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_waitgroup_wait(&clients, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_dial("tcp", address, WEFT_FOREVER), -ECONNREFUSED);
}

TEST(deadlines_pass_and_a_close_wakes_all)
{
	run_with(NULL, deadlines);
}
