/*
 * A TCP echo server on one CPU, asked by a client on another: 64 bytes there and back, over many
 * connections at once. The server is weft's, a goroutine a connection; or a bare epoll loop, the
 * least that such a server can do; or a thread a connection. The client is an epoll loop always.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "lib/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE = 64, EVENTS = 256 };

static int listener;
static struct sockaddr_in address;

static void
listen_here(void)
{
	socklen_t len = sizeof(address);

	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BENCH_CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	BENCH_CHECK(listen(listener, SOMAXCONN) == 0);
	BENCH_CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
}

/* The CPU of this number among those that we may use. */
static void
pin_to(int which)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &all) && which-- == 0)
			CPU_SET(i, &one);
	}
	BENCH_CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

/* The client: asks on all connections, each again as soon as it has its answer. */
struct connection {
	int fd;
	size_t got;
	int64_t asked;
};

static int
connect_one(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	BENCH_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void
ask(struct connection *c)
{
	static const char question[MESSAGE];

	c->got = 0;
	c->asked = bench_now();
	BENCH_CHECK(write(c->fd, question, MESSAGE) == MESSAGE);
}

/* For a second or more, after a warm-up of a quarter of it. Reports, and ends the process. */
static void
client(long n)
{
	struct connection *all = calloc((size_t)n, sizeof(*all));
	struct epoll_event e[EVENTS];
	int64_t span = bench_quick() ? 400000000 : 2000000000, start;
	struct bench_lat rtt = {0};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin_to(1);
	BENCH_CHECK(all != NULL);
	for (long i = 0; i < n; i++) {
		struct epoll_event in = {.events = EPOLLIN, .data = {.ptr = &all[i]}};

		all[i].fd = connect_one();
		BENCH_CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &in) == 0);
	}
	for (long i = 0; i < n; i++)
		ask(&all[i]);
	start = bench_now() + span / 4;
	while (bench_now() < start + span) {
		int k = epoll_wait(ep, e, EVENTS, 1000);

		BENCH_CHECK(k > 0);
		for (int i = 0; i < k; i++) {
			struct connection *c = e[i].data.ptr;
			char buf[MESSAGE];
			ssize_t got = read(c->fd, buf, sizeof(buf) - c->got);
			int64_t now = bench_now();

			BENCH_CHECK(got > 0);
			c->got += (size_t)got;
			if (c->got < MESSAGE)
				continue;
			if (now >= start)
				bench_lat_add(&rtt, now - c->asked);
			ask(c);
		}
	}
	bench_value("requests", "k/s", (double)rtt.n / ((double)span / 1e9) / 1e3);
	bench_lat_report(&rtt, "rtt");
	_exit(0);
}

static void
serve_goroutine(void *arg)
{
	int fd = *(int *)arg;
	char buf[4096];
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf), WEFT_FOREVER)) > 0) {
		if (weft_write(fd, buf, (size_t)n, WEFT_FOREVER) != n)
			break;
	}
	weft_close(fd);
}

static void
weft_server(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER)) >= 0) {
		weft_go_options o = {sizeof(o), .copy = &fd, .copy_size = sizeof(fd)};

		BENCH_CHECK(weft_go_with(&o, serve_goroutine, NULL) == 0);
	}
}

static void *
serve_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	}
	close(fd);
	return NULL;
}

static void *
thread_server(void *arg)
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
	return arg;
}

static void *
epoll_server(void *arg)
{
	struct epoll_event e[EVENTS], in = {.events = EPOLLIN, .data = {.fd = listener}};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &in);
	for (;;) {
		int k = epoll_wait(ep, e, EVENTS, -1);

		for (int i = 0; i < k; i++) {
			int fd = e[i].data.fd;
			char buf[4096];
			ssize_t n;

			if (fd == listener) {
				fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
				in.data.fd = fd;
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in);
				continue;
			}
			n = read(fd, buf, sizeof(buf));
			if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
				close(fd);
		}
	}
	return arg;
}

/*
 * Starts the client, runs the server until it has ended, and reports the server's CPU time. The
 * client is forked before weft has threads.
 */
static void
measure(void (*start)(void), long n)
{
	struct rlimit files = {20000, 20000};
	int64_t cpu;
	pid_t pid;
	int status;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < (rlim_t)n + 100)
		bench_skip("too few descriptors");
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	listen_here();
	pid = fork();
	if (pid == 0)
		client(n);
	BENCH_CHECK(pid > 0);
	pin_to(0);
	start();
	cpu = bench_cpu();
	/* In a goroutine this blocks its thread, which costs the others nothing. */
	BENCH_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	bench_value("server_cpu", "s", (double)(bench_cpu() - cpu) / 1e9);
}

static void
start_weft(void)
{
	weft_gomaxprocs(1);
	BENCH_CHECK(weft_go(weft_server, NULL) == 0);
}

static void
start_thread(void *(*server)(void *))
{
	pthread_t t;

	BENCH_CHECK(pthread_create(&t, NULL, server, NULL) == 0);
}

static void
start_threads(void)
{
	start_thread(thread_server);
}

static void
start_epoll(void)
{
	start_thread(epoll_server);
}

static void
with_weft(long n)
{
	measure(start_weft, n);
}

static void
with_threads(long n)
{
	measure(start_threads, n);
}

static void
with_epoll(long n)
{
	measure(start_epoll, n);
}

static const struct bench_case cases[] = {
    {.name = "echo_100", .run = with_weft, .arg = 100, .procs = 2},
    {.name = "echo_100_epoll", .run = with_epoll, .arg = 100, .procs = 2},
    {.name = "echo_100_pthread", .run = with_threads, .arg = 100, .procs = 2},
    {.name = "echo_1000", .run = with_weft, .arg = 1000, .procs = 2},
    {.name = "echo_1000_epoll", .run = with_epoll, .arg = 1000, .procs = 2},
    {.name = "echo_1000_pthread", .run = with_threads, .arg = 1000, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
