/*
 * The frame around a server that is measured. Knows nothing of how it serves.
 */
#define _GNU_SOURCE
#include "lib/server.h"

#include "lib/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESULT_FD = 3 };

static int
listen_here(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	BENCH_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	BENCH_CHECK(listen(fd, SOMAXCONN) == 0);
	return fd;
}

int
bench_port(int listener)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	BENCH_CHECK(getsockname(listener, (struct sockaddr *)&a, &len) == 0);
	return ntohs(a.sin_port);
}

/* Ends a server that is a process of its own. Nanoseconds of CPU that it and its children used. */
static int64_t
end_server(pid_t server)
{
	struct rusage u;

	kill(server, SIGTERM);
	BENCH_CHECK(wait4(server, NULL, 0, &u) == server);
	return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	    (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static pid_t
start_load(const char *kind, int port, long connections)
{
	const char *program = getenv("BENCH_LOAD");
	char port_text[16], n_text[24];
	pid_t pid;

	if (program == NULL)
		bench_skip("no BENCH_LOAD");
	snprintf(port_text, sizeof(port_text), "%d", port);
	snprintf(n_text, sizeof(n_text), "%ld", connections);
	pid = fork();
	if (pid == 0) {
		fcntl(RESULT_FD, F_SETFD, 0);
		execl(program, program, kind, port_text, n_text, (char *)NULL);
		_exit(255);
	}
	BENCH_CHECK(pid > 0);
	return pid;
}

void
bench_serve(const char *kind, long connections, pid_t (*start)(int listener))
{
	struct rlimit files = {20000, 20000};
	struct rusage before, after;
	int listener, status;
	pid_t load, server;
	int64_t cpu;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < (rlim_t)connections + 100)
		bench_skip("too few descriptors");
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	listener = listen_here();
	/* Before the server has threads. It waits in the backlog until the server runs. */
	load = start_load(kind, bench_port(listener), connections);
	server = start(listener);
	cpu = bench_cpu();
	getrusage(RUSAGE_SELF, &before);
	/* In a goroutine this blocks its thread, which costs the others nothing. */
	BENCH_CHECK(waitpid(load, &status, 0) == load && status == 0);
	cpu = server == 0 ? bench_cpu() - cpu : end_server(server);
	bench_value("server_cpu", "s", (double)cpu / 1e9);
	if (server != 0)
		return;
	getrusage(RUSAGE_SELF, &after);
	bench_value("server_faults", "", (double)(after.ru_minflt - before.ru_minflt));
	bench_value("server_switches", "", (double)(after.ru_nvcsw + after.ru_nivcsw -
	    before.ru_nvcsw - before.ru_nivcsw));
}

static struct { void (*server)(int); int listener; } job;

static void *
run_job(void *arg)
{
	job.server(job.listener);
	return arg;
}

void
bench_serve_in_thread(void (*server)(int listener), int listener)
{
	pthread_t t;

	job.server = server;
	job.listener = listener;
	BENCH_CHECK(pthread_create(&t, NULL, run_job, NULL) == 0);
}

void
bench_serve_by_epoll(int listener, bool (*answer)(int fd))
{
	struct epoll_event e[256], in = {.events = EPOLLIN, .data = {.fd = listener}};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &in);
	for (;;) {
		int k = epoll_wait(ep, e, sizeof(e) / sizeof(*e), -1);

		for (int i = 0; i < k; i++) {
			int fd = e[i].data.fd;

			if (fd != listener) {
				if (!answer(fd))
					close(fd);
				continue;
			}
			fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			in.data.fd = fd;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &in);
		}
	}
}
