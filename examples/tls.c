/*
 * Bytes over TLS, both ways: what talks to `openssl s_client` and `openssl s_server`. One goroutine
 * per direction of a connection.
 *
 *	tls serve ADDRESS CERT KEY [CA]		echoes; prints "tls: listening on port N"; with CA
 *						it demands certificates of its clients
 *	tls ask HOST:PORT [CA [CERT KEY]]	sends standard input, prints the answer
 */
#include <weft.h>
#include <weft/tls.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SECOND INT64_C(1000000000)
#define HANDSHAKE_LIMIT (10 * SECOND)
#define IDLE_LIMIT (60 * SECOND)

static int
complain(const char *what, int err, const char *why)
{
	fprintf(stderr, "tls: %s: %s%s%s\n", what, strerror(-err), *why ? ": " : "", why);
	return 1;
}

static int
complain_of(weft_tls *t, const char *what, int err)
{
	char why[256];

	weft_tls_error(t, why, sizeof(why));
	return complain(what, err, why);
}

/* ---- the server ---- */

/* A client may say that it is done and still read: so do we, last. */
static void
echo(void *arg)
{
	weft_tls *t = arg;
	char buf[16384];
	ssize_t n = weft_tls_handshake(t, weft_in(HANDSHAKE_LIMIT));

	while (n >= 0 && (n = weft_tls_read(t, buf, sizeof(buf), weft_in(IDLE_LIMIT))) > 0)
		n = weft_tls_write(t, buf, (size_t)n, weft_in(IDLE_LIMIT));
	if (n < 0)
		complain_of(t, "connection", (int)n);
	weft_tls_close(t, weft_in(SECOND));
}

static int
serve(const char *address, weft_tls_context *c)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int listener = weft_listen("tcp", address, 0), fd;

	if (listener < 0)
		return complain(address, listener, "");
	if (getsockname(listener, (struct sockaddr *)&ss, &len) < 0)
		return 1;
	printf("tls: listening on port %d\n",
	    ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
					  : ((struct sockaddr_in6 *)&ss)->sin6_port));
	fflush(stdout);
	for (;;) {
		weft_tls *t;

		fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER);
		if (fd < 0) {
			complain("accept", fd, "");
			weft_sleep(SECOND / 100);
		} else if (weft_tls_server(c, fd, &t) < 0) {
			weft_close(fd);
		} else if (weft_go(echo, t) < 0) {
			weft_tls_close(t, WEFT_NOW);
		}
	}
}

/* ---- the client ---- */

struct upload {
	weft_tls *t;
	int result;
	weft_waitgroup done;
};

static void
send_input(void *arg)
{
	struct upload *u = arg;
	char buf[16384];
	ssize_t n;

	while ((n = weft_read(0, buf, sizeof(buf), WEFT_FOREVER)) > 0) {
		n = weft_tls_write(u->t, buf, (size_t)n, weft_in(IDLE_LIMIT));
		if (n < 0)
			break;
	}
	u->result = n < 0 ? (int)n : weft_tls_close_write(u->t, weft_in(IDLE_LIMIT));
}

static int
ask(const char *address, weft_tls_context *c)
{
	char buf[16384], host[256];
	const char *colon = strrchr(address, ':');
	static struct upload up; /* the goroutine that sends may outlive this function */
	int fd = weft_dial("tcp", address, weft_in(HANDSHAKE_LIMIT));
	ssize_t n;
	int r;

	if (fd < 0)
		return complain(address, fd, "");
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	r = weft_tls_client(c, fd, host, &up.t);
	if (r < 0)
		return complain(host, r, "");
	r = weft_tls_handshake(up.t, weft_in(HANDSHAKE_LIMIT));
	if (r < 0)
		return complain_of(up.t, address, r);
	fprintf(stderr, "tls: %s\n", weft_tls_version(up.t));
	if (weft_waitgroup_go(&up.done, send_input, &up) < 0)
		return 1;
	while ((n = weft_tls_read(up.t, buf, sizeof(buf), weft_in(IDLE_LIMIT))) > 0)
		if (weft_write(1, buf, (size_t)n, WEFT_FOREVER) != n)
			break;
	if (n < 0)
		return complain_of(up.t, "read", (int)n);
	weft_waitgroup_wait(&up.done, weft_in(IDLE_LIMIT));
	weft_tls_close(up.t, weft_in(SECOND));
	return up.result < 0 ? complain("write", up.result, "") : 0;
}

int
main(int argc, char **argv)
{
	weft_tls_options o = {.size = sizeof(o)};
	weft_tls_context *c;
	bool serves = argc > 1 && strcmp(argv[1], "serve") == 0;
	char why[256];
	int r;

	if (!(serves ? argc == 5 || argc == 6 :
		       (argc == 3 || argc == 4 || argc == 6) && strcmp(argv[1], "ask") == 0)) {
		fprintf(stderr, "usage: tls serve ADDRESS CERT KEY [CA]\n"
				"       tls ask HOST:PORT [CA [CERT KEY]]\n");
		return 64;
	}
	o.cert_file = serves ? argv[3] : argc == 6 ? argv[4] : NULL;
	o.key_file = serves ? argv[4] : argc == 6 ? argv[5] : NULL;
	o.ca_file = serves ? argc == 6 ? argv[5] : NULL : argc > 3 ? argv[3] : NULL;
	if (serves && argc == 6)
		o.verify = WEFT_TLS_VERIFY_PEER;
	r = weft_tls_context_new(&o, why, sizeof(why), &c);
	if (r < 0)
		return complain("certificates", r, why);
	return serves ? serve(argv[2], c) : ask(argv[2], c);
}
