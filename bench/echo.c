/*
 * A TCP echo server on one CPU, asked by a client on another: 64 bytes there and back, over many
 * connections at once. The server is weft's, a goroutine a connection; or a bare epoll loop, the
 * least that such a server can do; or a bare io_uring loop; or a thread a connection. Again with
 * weft on io_uring, beside the bare io_uring loop and Go.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "lib/goroutines.h"
#include "lib/harness.h"
#include "lib/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 4096 };

static void
serve_goroutine(void *arg)
{
	int fd = *(int *)arg;
	char buf[BUFFER];
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf), WEFT_FOREVER)) > 0) {
		if (weft_write(fd, buf, (size_t)n, WEFT_FOREVER) != n)
			break;
	}
	weft_close(fd);
}

static pid_t
start_weft(int listener)
{
	bench_serve_by_goroutines(listener, serve_goroutine);
	return 0;
}

static void *
serve_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[BUFFER];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	close(fd);
	return NULL;
}

static void
thread_server(int listener)
{
	pthread_attr_t small;
	int fd;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_t t;

		BENCH_CHECK(pthread_create(&t, &small, serve_thread, (void *)(intptr_t)fd) == 0);
		pthread_detach(t);
	}
}

static pid_t
start_threads(int listener)
{
	bench_serve_in_thread(thread_server, listener);
	return 0;
}

static bool
epoll_answer(int fd)
{
	char buf[BUFFER];
	ssize_t n = read(fd, buf, sizeof(buf));

	return n > 0 && send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void
epoll_server(int listener)
{
	bench_serve_by_epoll(listener, epoll_answer);
}

static pid_t
start_epoll(int listener)
{
	bench_serve_in_thread(epoll_server, listener);
	return 0;
}

#ifdef HAVE_LIBURING
#include <liburing.h>

/* It always waits to receive: what it got is sent by an entry linked before the next receive. */
struct uring_connection {
	int fd;
	char buf[BUFFER];
};

/* What completes for the listener, and for a send that failed: the receive behind it says so. */
static char is_listener, is_send;

static struct io_uring_sqe *
next_entry(struct io_uring *ring)
{
	struct io_uring_sqe *e = io_uring_get_sqe(ring);

	BENCH_CHECK(e != NULL);
	return e;
}

/* n bytes are sent first, if there are any. */
static void
uring_receive(struct io_uring *ring, struct uring_connection *c, size_t n)
{
	struct io_uring_sqe *e;

	if (io_uring_sq_space_left(ring) < 2)
		io_uring_submit(ring);
	if (n > 0) {
		e = next_entry(ring);
		io_uring_prep_send(e, c->fd, c->buf, n, MSG_NOSIGNAL | MSG_WAITALL);
		io_uring_sqe_set_flags(e, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
		io_uring_sqe_set_data(e, &is_send);
	}
	e = next_entry(ring);
	io_uring_prep_recv(e, c->fd, c->buf, sizeof(c->buf), 0);
	io_uring_sqe_set_data(e, c);
}

static void
uring_accept(struct io_uring *ring, int listener)
{
	struct io_uring_sqe *e = next_entry(ring);

	io_uring_prep_multishot_accept(e, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(e, &is_listener);
}

static void
uring_complete(struct io_uring *ring, int listener, const struct io_uring_cqe *done)
{
	struct uring_connection *c = io_uring_cqe_get_data(done);

	if ((void *)c == &is_send)
		return;
	if ((void *)c == &is_listener) {
		BENCH_CHECK(done->res >= 0);
		c = malloc(sizeof(*c));
		BENCH_CHECK(c != NULL);
		c->fd = done->res;
		uring_receive(ring, c, 0);
		if ((done->flags & IORING_CQE_F_MORE) == 0)
			uring_accept(ring, listener);
	} else if (done->res <= 0) {
		close(c->fd);
		free(c);
	} else {
		uring_receive(ring, c, (size_t)done->res);
	}
}

static void
uring_server(int listener)
{
	struct io_uring_params p = {
	    .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	struct io_uring ring;

	if (io_uring_queue_init_params(4096, &ring, &p) != 0)
		bench_skip("no io_uring");
	uring_accept(&ring, listener);
	for (;;) {
		struct io_uring_cqe *done;
		unsigned head, n = 0;

		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, done) {
			uring_complete(&ring, listener, done);
			n++;
		}
		io_uring_cq_advance(&ring, n);
	}
}

static pid_t
start_uring(int listener)
{
	bench_serve_in_thread(uring_server, listener);
	return 0;
}

static void
with_uring(long n)
{
	bench_serve("echo", n, start_uring);
}

/* weft's sockets by io_uring, too. It reads this when it starts. */
static void
with_weft_on_uring(long n)
{
	setenv("WEFT_POLLER", "uring", 1);
	bench_serve("echo", n, start_weft);
}
#endif

static void
with_weft(long n)
{
	bench_serve("echo", n, start_weft);
}

static void
with_threads(long n)
{
	bench_serve("echo", n, start_threads);
}

static void
with_epoll(long n)
{
	bench_serve("echo", n, start_epoll);
}

static const struct bench_case cases[] = {
    {.name = "echo_100", .run = with_weft, .arg = 100, .procs = 1},
    {.name = "echo_100", .by = "epoll", .run = with_epoll, .arg = 100, .procs = 1},
    {.name = "echo_100", .by = "pthread", .run = with_threads, .arg = 100, .procs = 1,
        .max_reps = 3},
    {.name = "echo_1000", .run = with_weft, .arg = 1000, .procs = 1},
    {.name = "echo_1000", .by = "epoll", .run = with_epoll, .arg = 1000, .procs = 1},
    {.name = "echo_1000", .by = "pthread", .run = with_threads, .arg = 1000, .procs = 1,
        .max_reps = 3},
#ifdef HAVE_LIBURING
    {.name = "echo_100", .by = "io_uring", .run = with_uring, .arg = 100, .procs = 1},
    {.name = "echo_1000", .by = "io_uring", .run = with_uring, .arg = 1000, .procs = 1},
    {.name = "echo_uring_100", .run = with_weft_on_uring, .arg = 100, .procs = 1},
    {.name = "echo_uring_100", .by = "io_uring", .run = with_uring, .arg = 100, .procs = 1},
    {.name = "echo_uring_1000", .run = with_weft_on_uring, .arg = 1000, .procs = 1},
    {.name = "echo_uring_1000", .by = "io_uring", .run = with_uring, .arg = 1000, .procs = 1},
#endif
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
