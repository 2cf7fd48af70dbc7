/*
 * A proxy: SOCKS 5 (RFC 1928) and HTTP CONNECT (RFC 9110 9.3.6) on one port; the first byte says
 * which. A goroutine per connection, and a second one for the way back.
 *
 *	proxy [-c CONNECTIONS] [-i IDLE] [-w WAIT] [ADDRESS]	(1000, 60 s, 10 s, 127.0.0.1:1080)
 *
 * Prints "proxy: listening on port N". No more than CONNECTIONS at once: others wait in the
 * listener's queue. A client has WAIT seconds to say where it wants to go, the target WAIT
 * seconds to answer; a tunnel in which nothing has moved for IDLE seconds ends. Each direction
 * ends by itself. SIGINT and SIGTERM: no new connections, and a second for those that are open.
 *
 * Whoever reaches it can reach what this machine can, so it listens to this machine only, unless
 * it is told otherwise.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <weft.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define GRACE (1 * SECOND)
#define REQUEST_MAX 4096
#define ADDRESS_MAX 300

static struct {
	int64_t idle, wait;
	int64_t connections;
	int listener;
	weft_sem room;
	weft_scope *all;	/* every connection */
	weft_waitgroup accepting;
} proxy = {.idle = 60 * SECOND, .wait = 10 * SECOND, .connections = 1000};

/* ---- the tunnel ---- */

struct tunnel {
	int fd[2];		/* client, target */
	_Atomic int64_t moved;	/* when a byte last went through, either way */
};

struct way {
	struct tunnel *t;
	int from, to;		/* indices of fd */
};

/* Ends both directions, whatever they wait for: the descriptors stay ours till both have left. */
static void
cut(struct tunnel *t)
{
	shutdown(t->fd[0], SHUT_RDWR);
	shutdown(t->fd[1], SHUT_RDWR);
}

/* Waits while the other direction moves: silence counts when it is on both sides. */
static ssize_t
read_unless_idle(struct way *w, char *buf, size_t n)
{
	int64_t deadline;
	ssize_t r;

	do {
		deadline = atomic_load_explicit(&w->t->moved, memory_order_relaxed) + proxy.idle;
		r = weft_read(w->t->fd[w->from], buf, n, deadline);
	} while (r == -ETIMEDOUT &&
	    atomic_load_explicit(&w->t->moved, memory_order_relaxed) + proxy.idle > deadline);
	return r;
}

/* One direction, to its end. Its end is passed on; what goes wrong ends the other, too. */
static int
move(void *arg)
{
	struct way *w = arg;
	char buf[32768];
	ssize_t n;

	while ((n = read_unless_idle(w, buf, sizeof(buf))) > 0) {
		if (weft_write(w->t->fd[w->to], buf, (size_t)n, weft_in(proxy.idle)) != n) {
			n = -EPIPE;
			break;
		}
		atomic_store_explicit(&w->t->moved, weft_now(), memory_order_relaxed);
	}
	if (n < 0 || shutdown(w->t->fd[w->to], SHUT_WR) < 0)
		cut(w->t);
	return 0;
}

static void
run_tunnel(int client, int target)
{
	struct tunnel t = {.fd = {client, target}, .moved = weft_now()};
	struct way forth = {&t, 0, 1}, back = {&t, 1, 0};
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	if (s != NULL && weft_scope_go(s, move, &back) == 0) {
		move(&forth);
		weft_scope_wait(s, WEFT_FOREVER);
	}
	/* If the proxy stops, this is what ends the way back. */
	weft_scope_free(s);
}

/* ---- what the client wants ---- */

struct request {
	int fd;
	int64_t deadline;		/* for all of it */
	size_t have;			/* bytes in buf */
	unsigned char buf[REQUEST_MAX];
	char address[ADDRESS_MAX];	/* "host:port", as weft_dial() takes it */
};

/* Reads until there are n bytes. 0, or the error; the end is one, too. */
static int
need(struct request *r, size_t n)
{
	while (r->have < n) {
		ssize_t got = weft_read(r->fd, r->buf + r->have, sizeof(r->buf) - r->have,
		    r->deadline);

		if (got <= 0)
			return got < 0 ? (int)got : -ECONNRESET;
		r->have += (size_t)got;
	}
	return 0;
}

static void
consume(struct request *r, size_t n)
{
	memmove(r->buf, r->buf + n, r->have - n);
	r->have -= n;
}

static int
say(struct request *r, const void *p, size_t n)
{
	ssize_t went = weft_write(r->fd, p, n, weft_in(proxy.wait));

	return went == (ssize_t)n ? 0 : -EPIPE;
}

/* The target, once the client has been told. Then what it has sent already goes first. */
static int
hand_over(struct request *r, int target)
{
	ssize_t n = weft_write(target, r->buf, r->have, weft_in(proxy.wait));

	if (n == (ssize_t)r->have)
		return target;
	weft_close(target);
	return -EPIPE;
}

/* ---- SOCKS 5 ---- */

enum { SOCKS_OK, SOCKS_FAILED, SOCKS_NETWORK = 3, SOCKS_HOST, SOCKS_REFUSED, SOCKS_COMMAND = 7,
	SOCKS_ADDRESS };

static int
socks_reply(struct request *r, int code)
{
	unsigned char reply[10] = {5, (unsigned char)code, 0, 1};

	return say(r, reply, sizeof(reply));
}

static int
socks_code(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return SOCKS_REFUSED;
	case -ENETUNREACH:
		return SOCKS_NETWORK;
	case -ENOENT:
	case -EHOSTUNREACH:
	case -ETIMEDOUT:
		return SOCKS_HOST;
	default:
		return SOCKS_FAILED;
	}
}

/* Greeting: version, number of methods, methods. Only "no authentication" is for us. */
static int
socks_greet(struct request *r)
{
	unsigned char answer[2] = {5, 0xff};
	int err = need(r, 2);

	if (err == 0)
		err = need(r, 2u + r->buf[1]);
	if (err < 0)
		return err;
	if (memchr(r->buf + 2, 0, r->buf[1]) != NULL)
		answer[1] = 0;
	consume(r, 2u + r->buf[1]);
	err = say(r, answer, sizeof(answer));
	return answer[1] == 0 ? err : -EACCES;
}

/* The address of a request, the first 5 bytes of which are there. Its length, or -SOCKS_... */
static int
socks_address(struct request *r)
{
	unsigned char *p = r->buf;
	char host[257];
	size_t n = p[3] == 1 ? 4 : p[3] == 4 ? 16 : p[3] == 3 ? 1u + p[4] : 0;

	if (n == 0)
		return -SOCKS_ADDRESS;
	if (need(r, 4 + n + 2) < 0)
		return -SOCKS_FAILED;
	if (p[3] == 3) {
		memcpy(host, p + 5, n - 1);
		host[n - 1] = '\0';
		/* What looks like more than a name would be another address. */
		if (n == 1 || strlen(host) != n - 1 || strpbrk(host, ":[]") != NULL)
			return -SOCKS_FAILED;
	} else if (p[3] == 1) {
		snprintf(host, sizeof(host), "%d.%d.%d.%d", p[4], p[5], p[6], p[7]);
	} else {
		strcpy(host, "[");
		for (int i = 0; i < 16; i += 2)
			snprintf(host + strlen(host), 7, "%x%s", p[4 + i] << 8 | p[5 + i],
			    i < 14 ? ":" : "]");
	}
	snprintf(r->address, sizeof(r->address), "%s:%d", host, p[4 + n] << 8 | p[5 + n]);
	return (int)(4 + n + 2);
}

/* A connected target, or an error after the client has been told. */
static int
socks(struct request *r)
{
	int n, target, err = socks_greet(r);

	if (err < 0 || (err = need(r, 5)) < 0)
		return err;
	if (r->buf[0] != 5 || r->buf[1] != 1)
		return socks_reply(r, SOCKS_COMMAND), -EPROTO;
	n = socks_address(r);
	if (n < 0)
		return socks_reply(r, -n), -EPROTO;
	consume(r, (size_t)n);
	target = weft_dial("tcp", r->address, weft_in(proxy.wait));
	err = socks_reply(r, target < 0 ? socks_code(target) : SOCKS_OK);
	if (target >= 0 && err < 0)
		return weft_close(target), err;
	return target < 0 ? target : hand_over(r, target);
}

/* ---- HTTP CONNECT ---- */

static int
http_refuse(struct request *r, const char *status)
{
	char text[200];
	int n = snprintf(text, sizeof(text),
	    "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);

	say(r, text, (size_t)n);
	return -EPROTO;
}

static const char *
http_status(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "504 Gateway Timeout";
	case -EINVAL:
		return "400 Bad Request";
	default:
		return "502 Bad Gateway";
	}
}

static int
http(struct request *r)
{
	static const char ok[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	unsigned char *end;
	int err = 0, target;

	while ((end = memmem(r->buf, r->have, "\r\n\r\n", 4)) == NULL && err == 0) {
		if (r->have == sizeof(r->buf))
			return http_refuse(r, "431 Request Header Fields Too Large");
		err = need(r, r->have + 1);
	}
	if (err < 0)
		return err == -ETIMEDOUT ? http_refuse(r, "408 Request Timeout") : err;
	*end = '\0';
	if (strncmp((char *)r->buf, "CONNECT ", 8) != 0)
		return http_refuse(r, "405 Method Not Allowed");
	if (sscanf((char *)r->buf, "CONNECT %299s HTTP/1.", r->address) != 1)
		return http_refuse(r, "400 Bad Request");
	consume(r, (size_t)(end + 4 - r->buf));
	target = weft_dial("tcp", r->address, weft_in(proxy.wait));
	if (target < 0)
		return http_refuse(r, http_status(target));
	err = say(r, ok, sizeof(ok) - 1);
	if (err < 0)
		return weft_close(target), err;
	return hand_over(r, target);
}

/* ---- connections ---- */

static int
open_target(int client)
{
	struct request r = {.fd = client, .deadline = weft_in(proxy.wait)};
	int err = need(&r, 1);

	if (err < 0)
		return err;
	return r.buf[0] == 5 ? socks(&r) : http(&r);
}

/* Closing over unread bytes resets the connection, and may destroy the answer on its way. */
static void
close_after_answer(int fd)
{
	int64_t deadline = weft_in(SECOND);
	char drop[1024];

	shutdown(fd, SHUT_WR);
	while (weft_read(fd, drop, sizeof(drop), deadline) > 0)
		continue;
	weft_close(fd);
}

static int
serve(void *arg)
{
	int client = (int)(intptr_t)arg, target = open_target(client);

	if (target >= 0) {
		run_tunnel(client, target);
		weft_close(target);
		weft_close(client);
	} else {
		close_after_answer(client);
	}
	weft_sem_release(&proxy.room, 1);
	return 0;
}

static void
accept_all(void *unused)
{
	int fd = 0;

	(void)unused;
	while (fd != -EBADF && weft_sem_acquire(&proxy.room, 1, WEFT_FOREVER) == 0) {
		fd = weft_accept(proxy.listener, NULL, NULL, WEFT_FOREVER);
		if (fd >= 0 && weft_scope_go(proxy.all, serve, (void *)(intptr_t)fd) == 0)
			continue;
		if (fd >= 0)
			weft_close(fd);
		weft_sem_release(&proxy.room, 1);
		/* No descriptor, or no memory: those that are open must end first. */
		if (fd != -EBADF)
			weft_sleep(SECOND / 100);
	}
}

static int
port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -1;
	return ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
					     : ((struct sockaddr_in6 *)&ss)->sin6_port);
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1:1080";
	sigset_t stop;
	int opt, sig;

	while ((opt = getopt(argc, argv, "c:i:w:")) != -1) {
		double v = optarg != NULL ? atof(optarg) : 0;

		if (opt == '?' || !(v > 0 && v < 1e9)) {
			fprintf(stderr, "usage: proxy [-c CONNECTIONS] [-i IDLE] [-w WAIT] "
					"[ADDRESS]\n");
			return 64;
		}
		if (opt == 'c')
			proxy.connections = (int64_t)v;
		else
			*(opt == 'i' ? &proxy.idle : &proxy.wait) = (int64_t)(v * (double)SECOND);
	}
	if (optind < argc)
		address = argv[optind];
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL); /* before weft has threads: they inherit it */

	proxy.listener = weft_listen("tcp", address, 0);
	if (proxy.listener < 0) {
		fprintf(stderr, "proxy: %s: %s\n", address, strerror(-proxy.listener));
		return 1;
	}
	weft_sem_init(&proxy.room, proxy.connections);
	proxy.all = weft_scope_new(NULL, WEFT_FOREVER);
	if (proxy.all == NULL || weft_waitgroup_go(&proxy.accepting, accept_all, NULL) < 0)
		return 1;
	printf("proxy: listening on port %d\n", port_of(proxy.listener));
	fflush(stdout);
	/* A plain blocking call. Whoever makes one keeps a thread, and stops nobody. */
	sigwait(&stop, &sig);
	weft_close(proxy.listener);
	weft_scope_wait(proxy.all, weft_in(GRACE));
	weft_scope_cancel(proxy.all, -ECANCELED);
	weft_waitgroup_wait(&proxy.accepting, WEFT_FOREVER);
	weft_scope_free(proxy.all);
	return 0;
}
