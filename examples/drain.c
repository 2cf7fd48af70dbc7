/*
 * A server that stops gracefully: at SIGTERM or SIGINT nobody new comes in, who is inside is
 * served, and who is not done after a while is cut off. docs/stopping.md goes through it.
 *
 *	drain [ADDRESS [SECONDS]]	prints "drain: listening on port PORT"; 127.0.0.1:0, 30
 *
 * A client sends bytes and ends its half of the connection; the answer is how many there were.
 */
#include <weft.h>

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SECOND INT64_C(1000000000)
#define IDLE_LIMIT (60 * SECOND) /* a client that says nothing for so long is hung up on */

struct server {
	int listener;
	weft_scope *door;	/* has the acceptor */
	weft_scope *work;	/* has a goroutine for each connection */
};

static int
answer(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096], text[64];
	uint64_t bytes = 0;
	ssize_t n = 0;

	/* Cancelled, a read that would wait ends. One that finds bytes does not: hence the test. */
	while (weft_scope_err(weft_scope_current()) == 0 &&
	    (n = weft_read(fd, buf, sizeof(buf), weft_in(IDLE_LIMIT))) > 0)
		bytes += (uint64_t)n;
	if (n == 0) {
		int len = snprintf(text, sizeof(text), "%" PRIu64 " bytes\n", bytes);

		(void)weft_write(fd, text, (size_t)len, weft_in(IDLE_LIMIT));
	}
	weft_close(fd);
	return 0;	/* an error would cancel the scope, and so all others */
}

static void
let_in(struct server *s, int fd)
{
	if (weft_scope_go(s->work, answer, (void *)(intptr_t)fd) < 0)
		weft_close(fd);
}

static int
accept_all(void *arg)
{
	struct server *s = arg;

	while (weft_scope_err(s->door) == 0) {
		int fd = weft_accept(s->listener, NULL, NULL, WEFT_FOREVER);

		if (fd >= 0)
			let_in(s, fd);
		else if (fd != -ECANCELED)
			weft_sleep(SECOND / 100); /* no descriptor left: others must end first */
	}
	return 0;
}

/* Returns 0, or -ETIMEDOUT when somebody had to be cut off. */
static int
stop(struct server *s, int64_t limit)
{
	int fd, r;

	weft_scope_cancel(s->door, -ECANCELED);
	weft_scope_free(s->door);
	while ((fd = weft_accept(s->listener, NULL, NULL, WEFT_NOW)) >= 0)
		let_in(s, fd);	/* has connected already */
	weft_close(s->listener);

	r = weft_scope_wait(s->work, weft_in(limit));
	weft_scope_free(s->work);
	return r;
}

static void
announce(int listener)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof(a);

	(void)getsockname(listener, (struct sockaddr *)&a, &len);
	printf("drain: listening on port %d\n", ntohs(a.sin_port));
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:0";
	int64_t limit = argc > 2 ? (int64_t)(atof(argv[2]) * (double)SECOND) : 30 * SECOND;
	weft_chan *signals = weft_chan_new(sizeof(int), 1);
	struct server s = {.listener = weft_listen("tcp", address, 0)};
	int sig = 0, r;

	if (s.listener < 0) {
		fprintf(stderr, "drain: %s: %s\n", address, strerror(-s.listener));
		return 1;
	}
	s.door = weft_scope_new(NULL, WEFT_FOREVER);
	s.work = weft_scope_new(NULL, WEFT_FOREVER);
	if (signals == NULL || s.door == NULL || s.work == NULL ||
	    weft_signal_notify(signals, SIGTERM) < 0 || weft_signal_notify(signals, SIGINT) < 0 ||
	    weft_scope_go(s.door, accept_all, &s) < 0) {
		fprintf(stderr, "drain: can't start\n");
		return 1;
	}
	announce(s.listener);

	weft_chan_recv(signals, &sig, WEFT_FOREVER);
	weft_signal_stop(signals);	/* a second one ends the program, as it would without us */
	weft_chan_unref(signals);
	fprintf(stderr, "drain: %s, stopping\n", strsignal(sig));
	r = stop(&s, limit);
	if (r < 0)
		fprintf(stderr, "drain: cut off who was not done\n");
	return r < 0;
}
