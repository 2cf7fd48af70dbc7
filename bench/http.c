/*
 * HTTP/1.1 on one CPU, asked over 100 connections that stay open: a goroutine a connection, which
 * parses each request whole and answers with a date, as net/http does; a bare epoll loop, which
 * looks for the empty line only and has its answer ready; nginx with "return 200".
 */
#define _GNU_SOURCE
#include <weft.h>

#include "lib/goroutines.h"
#include "lib/harness.h"
#include "lib/server.h"

#include <fcntl.h>
#include <ftw.h>
#include <http_parser.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELLO "Hello, world!\n"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\nDate: "

enum { BUFFER = 4096, ANSWER_MAX = 256 };

/*
 * The answer of this second. Who makes it may lose its processor inside, to another that answers:
 * so the new one is made beside the old one, by one at a time, and is there when it is whole.
 */
static char answers[2][ANSWER_MAX];
static _Atomic(const char *) answer = answers[0];
static size_t answer_bytes;		/* always the same; written before anybody is served */
static _Atomic time_t made;
static atomic_flag is_made = ATOMIC_FLAG_INIT;

static void
make_answer(void)
{
	time_t now = time(NULL);
	char date[64], *to;
	struct tm t;

	if (now == atomic_load_explicit(&made, memory_order_relaxed) ||
	    atomic_flag_test_and_set(&is_made))
		return;
	to = answers[answer == answers[0]];
	gmtime_r(&now, &t);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &t);
	answer_bytes = (size_t)snprintf(to, ANSWER_MAX, HEAD "%s\r\n\r\n" HELLO, date);
	atomic_store(&answer, to);
	atomic_store(&made, now);
	atomic_flag_clear(&is_made);
}

/* One connection's parser; asked counts the requests that are complete. */
struct reader {
	http_parser parser;
	int asked;
	bool is_root;
};

static int
on_url(http_parser *p, const char *at, size_t n)
{
	struct reader *r = p->data;

	r->is_root = n == 1 && *at == '/';
	return 0;
}

static int
on_complete(http_parser *p)
{
	struct reader *r = p->data;

	BENCH_CHECK(r->is_root && http_should_keep_alive(p));
	r->asked++;
	return 0;
}

static void
serve_goroutine(void *arg)
{
	static const http_parser_settings settings = {.on_url = on_url,
	    .on_message_complete = on_complete};
	int fd = *(int *)arg;
	struct reader r = {0};
	char buf[BUFFER];
	ssize_t n;

	http_parser_init(&r.parser, HTTP_REQUEST);
	r.parser.data = &r;
	while ((n = weft_read(fd, buf, sizeof(buf), WEFT_FOREVER)) > 0) {
		if (http_parser_execute(&r.parser, &settings, buf, (size_t)n) != (size_t)n)
			break;
		for (; r.asked > 0; r.asked--) {
			make_answer();
			if (weft_write(fd, atomic_load(&answer), answer_bytes, WEFT_FOREVER) < 0)
				break;
		}
	}
	weft_close(fd);
}

static pid_t
start_weft(int listener)
{
	make_answer();
	bench_serve_by_goroutines(listener, serve_goroutine);
	return 0;
}

static void
with_weft(long n)
{
	bench_serve("http", n, start_weft);
}

static bool
epoll_answer(int fd)
{
	char buf[BUFFER];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n <= 0)
		return false;
	BENCH_CHECK(memmem(buf, (size_t)n, "\r\n\r\n", 4) != NULL);
	make_answer();
	return send(fd, atomic_load(&answer), answer_bytes, MSG_NOSIGNAL) == (ssize_t)answer_bytes;
}

static void
epoll_server(int listener)
{
	bench_serve_by_epoll(listener, epoll_answer);
}

static pid_t
start_epoll(int listener)
{
	make_answer();
	bench_serve_in_thread(epoll_server, listener);
	return 0;
}

static void
with_epoll(long n)
{
	bench_serve("http", n, start_epoll);
}

static void
write_configuration(const char *path, int port)
{
	FILE *f = fopen(path, "we");

	BENCH_CHECK(f != NULL);
	fprintf(f,
	    "daemon off; worker_processes 1; pid nginx.pid; error_log error.log;\n"
	    "events { worker_connections 2048; use epoll; }\n"
	    "http { access_log off; keepalive_requests 1000000000;\n"
	    "  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
	    "  uwsgi_temp_path u; scgi_temp_path s;\n"
	    "  server { listen 127.0.0.1:%d; default_type text/plain;\n"
	    "    location / { return 200 \"Hello, world!\\n\"; } } }\n", port);
	fclose(f);
}

static char directory[] = "/tmp/weft-bench-XXXXXX";

static pid_t
start_nginx(int listener)
{
	char path[64], inherited[32];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	/* Not SIGKILL: its worker is to end with it. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(path, sizeof(path), "%s/conf", directory);
	write_configuration(path, bench_port(listener));
	/* It takes over the listener, as from an older nginx: nothing is missed while it starts. */
	snprintf(inherited, sizeof(inherited), "%d;", listener);
	setenv("NGINX", inherited, 1);
	fcntl(listener, F_SETFD, 0);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	execlp("nginx", "nginx", "-e", "error.log", "-p", directory, "-c", path, (char *)NULL);
	fputs("nginx cannot be run (tools/setup bench)\n", stderr);
	_exit(127);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void
with_nginx(long n)
{
	BENCH_CHECK(mkdtemp(directory) != NULL);
	bench_serve("http", n, start_nginx);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct bench_case cases[] = {
    {.name = "http_100", .run = with_weft, .arg = 100, .procs = 1},
    {.name = "http_100", .by = "epoll", .run = with_epoll, .arg = 100, .procs = 1},
    {.name = "http_100", .by = "nginx", .run = with_nginx, .arg = 100, .procs = 1},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
