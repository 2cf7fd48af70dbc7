/*
 * Many connections, each busy, and each byte of them checked: the server, its honest clients, and
 * those that mean no good. Used by the scripts of this folder, that put the two ends into
 * processes, or network namespaces, of their own. A user of weft like any other.
 *
 *	crowd serve ADDRESS IDLE		echoes frames until SIGTERM; then all connections
 *						must end within LEAVE, and it says what is left
 *	crowd ask ADDRESS CONNECTIONS ROUNDS LIMIT	opens all, then all talk at once
 *	crowd harm ADDRESS SECONDS		opens, breaks and abuses connections
 *
 * A frame is its length, 1 to FRAME_MAX, in 4 bytes, and so many bytes. IDLE, LIMIT in seconds.
 */
#include <weft.h>

#include "fds.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define LEAVE (60 * SECOND)

enum {
	FRAME_MAX = 4096,
	DIALS = 200,		/* at a time: a listener's queue is not endless */
};

static uint64_t
random64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* n bytes, or the error; -ENODATA for an end before the first of them. */
static int
read_all(int fd, void *to, size_t n, int64_t deadline)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = weft_read(fd, (char *)to + got, n - got, deadline);

		if (r <= 0)
			return r < 0 ? (int)r : got == 0 ? -ENODATA : -ECONNRESET;
		got += (size_t)r;
	}
	return 0;
}

/* ---- the server ---- */

static int64_t idle_limit;
static int listener;
static _Atomic int open_now, open_most, ended_well, cut_off;
static weft_waitgroup connections;

static int
echo_frames(int fd)
{
	struct {
		uint32_t len;
		unsigned char bytes[FRAME_MAX];
	} frame;

	for (;;) {
		int64_t deadline = weft_in(idle_limit);
		int r = read_all(fd, &frame.len, sizeof(frame.len), deadline);
		size_t n = sizeof(frame.len) + frame.len;

		if (r < 0)
			return r;
		if (frame.len == 0 || frame.len > FRAME_MAX)
			return -EPROTO;
		r = read_all(fd, frame.bytes, frame.len, deadline);
		if (r < 0)
			return r == -ENODATA ? -ECONNRESET : r;
		if (weft_write(fd, &frame, n, weft_in(idle_limit)) != (ssize_t)n)
			return -EPIPE;
	}
}

static void
serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg, now = atomic_fetch_add(&open_now, 1) + 1;
	int most = atomic_load(&open_most);

	while (now > most && !atomic_compare_exchange_weak(&open_most, &most, now))
		continue;
	atomic_fetch_add(echo_frames(fd) == -ENODATA ? &ended_well : &cut_off, 1);
	weft_close(fd);
	atomic_fetch_sub(&open_now, 1);
}

static void
accept_all(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER)) != -EBADF) {
		if (fd < 0)
			weft_sleep(SECOND / 100);
		else if (weft_waitgroup_go(&connections, serve_one, (void *)(intptr_t)fd) < 0)
			weft_close(fd);
	}
}

static int
serve(const char *address)
{
	struct sockaddr_in in = {0};
	socklen_t len = sizeof(in);
	int sig, left, are_left, descriptors, goroutines;
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	listener = weft_listen("tcp4", address, 0);
	if (listener < 0 || getsockname(listener, (struct sockaddr *)&in, &len) < 0) {
		fprintf(stderr, "crowd: %s: %s\n", address, strerror(-listener));
		return 1;
	}
	weft_sleep(1);	/* whatever the runtime opens for itself is open now */
	weft_poll(listener, POLLIN, weft_in(SECOND / 100));
	descriptors = open_fds();
	goroutines = weft_numgoroutine();
	weft_go(accept_all, NULL);
	printf("crowd: listening on port %d\n", ntohs(in.sin_port));
	fflush(stdout);
	sigwait(&stop, &sig);
	weft_close(listener);
	left = weft_waitgroup_wait(&connections, weft_in(LEAVE)) < 0;
	descriptors--;
	/* The acceptor and the last connection are about to end. */
	for (int i = 0; (are_left = weft_numgoroutine() > goroutines || open_fds() > descriptors) &&
	     i < 10000; i++)
		weft_sleep(SECOND / 1000);
	left |= are_left;
	printf("crowd: served %d, cut off %d, %d at a time, left %d goroutines, %d descriptors\n",
	    ended_well, cut_off, open_most, weft_numgoroutine() - goroutines,
	    open_fds() - descriptors);
	return left;
}

/* ---- honest clients ---- */

static const char *server_address;
static long rounds;
static int64_t limit;
static weft_sem dials;
static weft_waitgroup opened, done;
static weft_chan *start;
static _Atomic int lost, messages;

static int
talk(int fd, uint64_t seed)
{
	struct {
		uint32_t len;
		unsigned char bytes[FRAME_MAX];
	} out, in;

	for (long i = 0; i < rounds; i++) {
		size_t n;
		int r;

		/* Mostly small, as messages are. */
		out.len = (uint32_t)(random64(&seed) % (i % 8 == 0 ? FRAME_MAX : 200) + 1);
		n = sizeof(out.len) + out.len;
		for (uint32_t k = 0; k < out.len; k += 8) {
			uint64_t x = random64(&seed);

			memcpy(out.bytes + k, &x, out.len - k < 8 ? out.len - k : 8);
		}
		if (weft_write(fd, &out, n, limit) != (ssize_t)n)
			return -EPIPE;
		r = read_all(fd, &in, n, limit);
		if (r < 0)
			return r;
		if (memcmp(&in, &out, n) != 0)
			return -EBADMSG;
		atomic_fetch_add(&messages, 1);
	}
	return 0;
}

static int
dial(void)
{
	int fd;

	weft_sem_acquire(&dials, 1, WEFT_FOREVER);
	do
		fd = weft_dial("tcp", server_address, limit);
	while (fd == -ETIMEDOUT && weft_now() < limit);
	weft_sem_release(&dials, 1);
	return fd;
}

static void
ask_one(void *arg)
{
	int fd = dial(), r = fd;

	weft_waitgroup_done(&opened);
	if (fd >= 0) {
		weft_chan_recv(start, NULL, WEFT_FOREVER);
		r = talk(fd, (uint64_t)(uintptr_t)arg);
		weft_close(fd);
	}
	if (r < 0 && atomic_fetch_add(&lost, 1) == 0)
		fprintf(stderr, "crowd: %s: %s\n", server_address, strerror(-r));
}

static int
ask(long n)
{
	int64_t began = weft_now();

	start = weft_chan_new(0, 0);
	weft_sem_init(&dials, DIALS);
	weft_waitgroup_add(&opened, (int)n);
	for (long i = 0; i < n; i++)
		if (weft_waitgroup_go(&done, ask_one, (void *)(intptr_t)(i + 1)) < 0)
			return 1;
	weft_waitgroup_wait(&opened, WEFT_FOREVER);
	fprintf(stderr, "crowd: %ld open after %.1f s\n", n - lost,
	    (double)(weft_now() - began) / 1e9);
	began = weft_now();
	weft_chan_close(start);
	weft_waitgroup_wait(&done, WEFT_FOREVER);
	printf("crowd: %ld connections, %d of %ld messages, %d lost, %.1f s\n", n, messages,
	    n * rounds, lost, (double)(weft_now() - began) / 1e9);
	return lost > 0 || messages != n * rounds;
}

/* ---- clients that mean no good ---- */

static void
vanish(int fd)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	weft_close(fd);
}

static void
harm_one(int fd, uint64_t *seed)
{
	unsigned char junk[600];
	uint32_t len = 1000;

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (unsigned char)random64(seed);
	switch (random64(seed) % 6) {
	case 0:	/* comes and is gone */
		vanish(fd);
		return;
	case 1:	/* says nothing, half open */
		shutdown(fd, SHUT_WR);
		weft_read(fd, junk, 1, weft_in(SECOND));
		break;
	case 2:	/* bytes that are no frame */
		weft_write(fd, junk, random64(seed) % sizeof(junk), limit);
		vanish(fd);
		return;
	case 3:	/* part of a frame */
		weft_write(fd, &len, sizeof(len), limit);
		weft_write(fd, junk, random64(seed) % 500, limit);
		break;
	case 4:	/* a frame, byte by byte, that never ends */
		weft_write(fd, &len, sizeof(len), limit);
		for (int i = 0; i < 50 && weft_write(fd, junk, 1, limit) == 1; i++)
			weft_sleep(SECOND / 20);
		break;
	default: /* asks and does not read the answers */
		len = sizeof(junk) - sizeof(len);
		memcpy(junk, &len, sizeof(len));
		while (weft_write(fd, junk, sizeof(junk), weft_in(SECOND / 10)) == sizeof(junk) &&
		    weft_now() < limit)
			continue;
		vanish(fd);
		return;
	}
	weft_close(fd);
}

static void
harm(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	while (weft_now() < limit) {
		int fd = weft_dial("tcp", server_address, limit);

		if (fd >= 0) {
			harm_one(fd, &seed);
			atomic_fetch_add(&messages, 1);
		}
	}
}

static int
harm_all(void)
{
	for (int i = 0; i < DIALS; i++)
		if (weft_waitgroup_go(&done, harm, (void *)(intptr_t)(i + 1)) < 0)
			return 1;
	weft_waitgroup_wait(&done, WEFT_FOREVER);
	printf("crowd: %d connections abused\n", messages);
	return 0;
}

int
main(int argc, char **argv)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	server_address = argc > 2 ? argv[2] : "";
	if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		idle_limit = atol(argv[3]) * SECOND;
		return serve(argv[2]);
	}
	if (argc == 6 && strcmp(argv[1], "ask") == 0) {
		rounds = atol(argv[4]);
		limit = weft_in(atol(argv[5]) * SECOND);
		return ask(atol(argv[3]));
	}
	if (argc == 4 && strcmp(argv[1], "harm") == 0) {
		limit = weft_in(atol(argv[3]) * SECOND);
		return harm_all();
	}
	fprintf(stderr, "usage: crowd serve ADDRESS IDLE\n"
			"       crowd ask ADDRESS CONNECTIONS ROUNDS LIMIT\n"
			"       crowd harm ADDRESS SECONDS\n");
	return 64;
}
