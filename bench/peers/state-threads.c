/*
 * The cases that State Threads can do: one thread, no locks. It has neither a yield (a sleep of no
 * time stands for it) nor channels: a ring with its condition variables stands for those.
 */
#include <st.h>

#include "lib/harness.h"
#include "lib/server.h"

#include <stdlib.h>
#include <sys/socket.h>

enum { STACK = 16384, RING = 128, BUFFER = 4096 };

static long rounds;

static void
start_st(void)
{
	st_set_eventsys(ST_EVENTSYS_ALT);
	BENCH_CHECK(st_init() == 0);
}

static st_thread_t
go(void *(*fn)(void *), void *arg)
{
	st_thread_t t = st_thread_create(fn, arg, 1, STACK);

	BENCH_CHECK(t != NULL);
	return t;
}

static void *
yielder(void *arg)
{
	for (long i = 0; i < rounds; i++)
		st_usleep(0);
	return arg;
}

static void
yields(long n)
{
	st_thread_t t[2];
	int64_t start;

	start_st();
	rounds = bench_n(2000000) / n;
	for (long i = 0; i < n; i++)
		t[i] = go(yielder, NULL);
	start = bench_now();
	for (long i = 0; i < n; i++)
		st_thread_join(t[i], NULL);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(rounds * n));
}

static void *
nothing(void *arg)
{
	return arg;
}

static void
join_one(long n)
{
	int64_t start;

	start_st();
	n = bench_n(n);
	start = bench_now();
	for (long i = 0; i < n; i++)
		st_thread_join(go(nothing, NULL), NULL);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
}

/* A channel of cap elements. */
struct ring {
	long slot[RING];
	size_t head, n, cap;
	st_cond_t not_empty, not_full;
};

static void
ring_init(struct ring *r, size_t cap)
{
	*r = (struct ring){.cap = cap, .not_empty = st_cond_new(), .not_full = st_cond_new()};
}

static void
ring_send(struct ring *r, long v)
{
	while (r->n == r->cap)
		st_cond_wait(r->not_full);
	r->slot[(r->head + r->n++) % RING] = v;
	st_cond_signal(r->not_empty);
}

static long
ring_recv(struct ring *r)
{
	long v;

	while (r->n == 0)
		st_cond_wait(r->not_empty);
	v = r->slot[r->head++ % RING];
	r->n--;
	st_cond_signal(r->not_full);
	return v;
}

static struct ring there, back;

static void *
echo(void *arg)
{
	for (long i = 0; i < rounds; i++)
		ring_send(&back, ring_recv(&there));
	return arg;
}

static void
pingpong(long n)
{
	int64_t start;

	start_st();
	rounds = bench_n(n);
	ring_init(&there, 1);
	ring_init(&back, 1);
	go(echo, NULL);
	start = bench_now();
	for (long i = 0; i < rounds; i++) {
		ring_send(&there, i);
		BENCH_CHECK(ring_recv(&back) == i);
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)rounds);
}

static void *
sender(void *arg)
{
	for (long i = 1; i <= rounds; i++)
		ring_send(&there, i);
	return arg;
}

static void
buffered(long n)
{
	int64_t start;
	long sum = 0;

	start_st();
	rounds = bench_n(n);
	ring_init(&there, RING);
	start = bench_now();
	go(sender, NULL);
	for (long i = 0; i < rounds; i++)
		sum += ring_recv(&there);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)rounds);
	BENCH_CHECK(sum == rounds * (rounds + 1) / 2);
}

static void *
serve_one(void *arg)
{
	char buf[BUFFER];
	ssize_t n;

	while ((n = st_read(arg, buf, sizeof(buf), ST_UTIME_NO_TIMEOUT)) > 0) {
		if (st_write(arg, buf, (size_t)n, ST_UTIME_NO_TIMEOUT) != n)
			break;
	}
	st_netfd_close(arg);
	return NULL;
}

static void
server(int fd)
{
	st_netfd_t listener, c;

	start_st();
	listener = st_netfd_open_socket(fd);
	BENCH_CHECK(listener != NULL);
	while ((c = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT)) != NULL)
		go(serve_one, c);
}

static pid_t
start_server(int listener)
{
	bench_serve_in_thread(server, listener);
	return 0;
}

static void
echo_server(long n)
{
	bench_serve("echo", n, start_server);
}

static const struct bench_case cases[] = {
    {.name = "yield_1p", .by = "state-threads", .run = yields, .arg = 2},
    {.name = "spawn_join_1p", .by = "state-threads", .run = join_one, .arg = 1000000},
    {.name = "pingpong_1p", .by = "state-threads", .run = pingpong, .arg = 2000000},
    {.name = "buffered_1to1_1p", .by = "state-threads", .run = buffered, .arg = 8000000},
    {.name = "echo_100", .by = "state-threads", .run = echo_server, .arg = 100},
    {.name = "echo_1000", .by = "state-threads", .run = echo_server, .arg = 1000},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
