/*
 * Loads a server on 127.0.0.1, closed loop: on every connection a request, its answer, at once the
 * next. One thread and one epoll descriptor, so that it costs as little as it can. The same for
 * every server that is compared. It does not sleep where it has a CPU to itself: README.md,
 * "Method".
 *
 *   load echo|http PORT CONNECTIONS
 *
 * Writes requests a second and round trip times to descriptor 3, as a case does.
 */
#define _GNU_SOURCE
#include "lib/harness.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, ANSWER_MAX = 2048, PATIENCE_MS = 20000 };

struct connection {
	int fd;
	bool is_served;			/* it has had an answer */
	size_t got;
	int64_t asked;
	char answer[ANSWER_MAX];
};

/* What is asked; and how long the answer in a[0..n) is to be, 0 while that is not known. */
struct protocol {
	const char *name;
	const char *request;
	size_t request_bytes;
	size_t (*answer_bytes)(const char *a, size_t n);
};

static const char message[64] = "sixty-four bytes, there and back";
static const char get[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load\r\n"
    "Accept: */*\r\n\r\n";

static size_t
echo_answer_bytes(const char *a, size_t n)
{
	(void)a;
	(void)n;
	return sizeof(message);
}

static size_t
http_answer_bytes(const char *a, size_t n)
{
	const char *end = memmem(a, n, "\r\n\r\n", 4);
	const char *length;

	if (end == NULL)
		return 0;
	BENCH_CHECK(memcmp(a, "HTTP/1.1 200", 12) == 0);
	length = memmem(a, (size_t)(end - a), "\r\nContent-Length: ", 18);
	BENCH_CHECK(length != NULL);
	return (size_t)(end + 4 - a) + (size_t)atol(length + 18);
}

static const struct protocol protocols[] = {
    {"echo", message, sizeof(message), echo_answer_bytes},
    {"http", get, sizeof(get) - 1, http_answer_bytes},
};

static bool may_spin;
static long n_calls;		/* of the system, for each connection and answer */

/* Away from the server's CPU, if the harness has named another. That one is ours then. */
static void
pin(void)
{
	const char *cpu = getenv("BENCH_CLIENT_CPU");
	cpu_set_t one;

	if (cpu == NULL)
		return;
	CPU_ZERO(&one);
	CPU_SET(atoi(cpu), &one);
	BENCH_CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	may_spin = true;
}

static int
connect_to(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	BENCH_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	n_calls += 2;
	return fd;
}

static void
ask(const struct protocol *p, struct connection *c)
{
	c->got = 0;
	c->asked = bench_now();
	BENCH_CHECK(send(c->fd, p->request, p->request_bytes, MSG_NOSIGNAL) ==
	    (ssize_t)p->request_bytes);
	n_calls++;
}

/* Reads what is there. Returns true when the answer is complete, and right. */
static bool
take_answer(const struct protocol *p, struct connection *c)
{
	ssize_t n = read(c->fd, c->answer + c->got, sizeof(c->answer) - c->got);
	size_t wanted;

	n_calls++;
	BENCH_CHECK(n > 0);
	c->got += (size_t)n;
	wanted = p->answer_bytes(c->answer, c->got);
	if (wanted == 0 || c->got < wanted) {
		BENCH_CHECK(c->got < sizeof(c->answer));
		return false;
	}
	BENCH_CHECK(c->got == wanted);
	BENCH_CHECK(p->answer_bytes != echo_answer_bytes ||
	    memcmp(c->answer, message, sizeof(message)) == 0);
	return true;
}

static long n_answers, n_waits;	/* all, also before what is measured begins */

/* As epoll_wait(), for 20 s at most; asks again and again if it may. */
static int
wait_events(int ep, struct epoll_event e[EVENTS])
{
	int64_t end = bench_now() + PATIENCE_MS * INT64_C(1000000);

	n_waits++;
	while (may_spin && bench_now() < end) {
		int n = epoll_wait(ep, e, EVENTS, 0);

		n_calls++;
		if (n != 0)
			return n;
	}
	n_calls++;
	return epoll_wait(ep, e, EVENTS, may_spin ? 0 : PATIENCE_MS);
}

/*
 * Takes what answers come, and asks again. Returns the number of connections that had
 * their first. Round trips that end after `from` are added to rtt.
 */
static long
take_answers(const struct protocol *p, int ep, int64_t from, struct bench_lat *rtt)
{
	struct epoll_event e[EVENTS];
	int k = wait_events(ep, e);
	long n_first = 0;

	BENCH_CHECK(k > 0);
	for (int i = 0; i < k; i++) {
		struct connection *c = e[i].data.ptr;
		int64_t now;

		if (!take_answer(p, c))
			continue;
		now = bench_now();
		if (now >= from)
			bench_lat_add(rtt, now - c->asked);
		n_answers++;
		n_first += !c->is_served;
		c->is_served = true;
		ask(p, c);
	}
	return n_first;
}

static void
load(const struct protocol *p, struct connection *all, long n)
{
	int64_t span = bench_quick() ? 400000000 : 2000000000, start;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct bench_lat rtt = {0};
	struct rusage u;
	long n_served = 0;

	for (long i = 0; i < n; i++) {
		struct epoll_event in = {.events = EPOLLIN, .data = {.ptr = &all[i]}};

		BENCH_CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &in) == 0);
		n_calls++;
		ask(p, &all[i]);
	}
	/* Until all are accepted, and a quarter more to warm up. */
	while (n_served < n)
		n_served += take_answers(p, ep, INT64_MAX, &rtt);
	start = bench_now() + span / 4;
	while (bench_now() < start + span)
		take_answers(p, ep, start, &rtt);
	bench_value("requests", "k/s", (double)rtt.n / ((double)span / 1e9) / 1e3);
	/* How it went: a client that is faster than the server takes few at a time. */
	getrusage(RUSAGE_SELF, &u);
	bench_value("answers", "", (double)n_answers);
	bench_value("client_batch", "", (double)n_answers / (double)n_waits);
	bench_value("client_calls", "", (double)n_calls);
	bench_value("client_sleeps", "", (double)u.ru_nvcsw);
	bench_lat_report(&rtt, "rtt");
}

int
main(int argc, char **argv)
{
	const struct protocol *p = protocols;
	struct connection *all;
	struct rlimit files;
	long n;

	if (argc != 4) {
		fputs("usage: load echo|http PORT CONNECTIONS\n", stderr);
		return 64;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strcmp(argv[1], "http") == 0)
		p++;
	n = atol(argv[3]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	pin();
	all = calloc((size_t)n, sizeof(*all));
	BENCH_CHECK(all != NULL);
	for (long i = 0; i < n; i++)
		all[i].fd = connect_to(atoi(argv[2]));
	load(p, all, n);
	return 0;
}
