/*
 * What the tests of TLS share: certificates, made by the openssl tool once per process, contexts
 * of them, and connections that have shaken hands.
 */
#ifndef WEFT_TEST_TLS_TLS_UTIL_H
#define WEFT_TEST_TLS_TLS_UTIL_H

#include "../spec/io_util.h"

#include <weft/tls.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

/* The folder with the certificates: see the script `certificates` for their names. A child of a
 * test may be given that of its parent. */
#define CERTIFICATES "WEFT_TEST_CERTIFICATES"

static inline const char *
certificates(void)
{
	static char dir[64];
	char command[512];
	const char *src = getenv("WEFT_SRC"), *made = getenv(CERTIFICATES);

	if (made != NULL)
		return made;
	if (dir[0] != '\0')
		return dir;
	strcpy(dir, "/tmp/weft-tls-XXXXXX");
	if (mkdtemp(dir) == NULL)
		FAIL("mkdtemp");
	snprintf(command, sizeof(command), "bash %s/test/tls/certificates %s",
	    src != NULL ? src : ".", dir);
	if (system(command) != 0)
		FAIL("%s", command);
	return dir;
}

/* To be called at the end of a test that called certificates(). */
static inline void
drop_certificates(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", certificates());
	EXPECT_EQ(system(command), 0);
}

/* The path of DIR/NAME; eight of them live at a time. */
static inline const char *
in_dir(const char *name)
{
	static char paths[8][128];
	static int next;
	char *p = paths[next++ % 8];

	snprintf(p, 128, "%s/%s", certificates(), name);
	return p;
}

static inline weft_tls_context *
context_of(weft_tls_options o)
{
	weft_tls_context *c = NULL;
	char why[256];
	int r;

	o.size = sizeof(o);
	r = weft_tls_context_new(&o, why, sizeof(why), &c);
	if (r < 0)
		FAIL("no context: %d, %s", r, why);
	return c;
}

/* A server that shows NAME.pem. */
static inline weft_tls_context *
server_with(const char *name)
{
	char cert[32], key[32];

	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	return context_of(
	    (weft_tls_options){.cert_file = in_dir(cert), .key_file = in_dir(key)});
}

/* A client that trusts our authority and nobody else. */
static inline weft_tls_context *
client_that_trusts(void)
{
	return context_of((weft_tls_options){.ca_file = in_dir("ca.pem")});
}

/* Two ends of a TCP connection; they have not spoken yet. end[0] is the client. */
static inline void
tls_ends(weft_tls_context *client, const char *host, weft_tls_context *server, weft_tls *end[2])
{
	int fd[2];

	tcp_pair(fd);
	EXPECT_EQ(weft_tls_client(client, fd[0], host, &end[0]), 0);
	EXPECT_EQ(weft_tls_server(server, fd[1], &end[1]), 0);
}

struct handshake {
	weft_tls *t;
	int result;
	weft_waitgroup done;
};

static inline void
do_handshake(void *arg)
{
	struct handshake *h = arg;

	h->result = weft_tls_handshake(h->t, soon());
}

/* Both handshakes at a time. Returns the client's result, the server's in *ret_server. */
static inline int
shake_hands(weft_tls *end[2], int *ret_server)
{
	struct handshake server = {.t = end[1]};
	int r;

	EXPECT_EQ(weft_waitgroup_go(&server.done, do_handshake, &server), 0);
	r = weft_tls_handshake(end[0], soon());
	EXPECT_EQ(weft_waitgroup_wait(&server.done, soon()), 0);
	*ret_server = server.result;
	return r;
}

/* A connection between two contexts that agree. */
static inline void
tls_pair(weft_tls_context *client, weft_tls_context *server, weft_tls *end[2])
{
	int of_server;

	tls_ends(client, "localhost", server, end);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	EXPECT_EQ(of_server, 0);
}

/* One with all defaults, that needs no context any more. */
static inline void
plain_tls_pair(weft_tls *end[2])
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");

	tls_pair(client, server, end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
}

static inline void
tls_read_all(weft_tls *t, void *buf, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = weft_tls_read(t, (char *)buf + got, n - got, soon());

		if (r <= 0)
			FAIL("read %zu of %zu bytes, then %zd", got, n, r);
		got += (size_t)r;
	}
}

static inline void
close_both(weft_tls *end[2])
{
	weft_tls_close(end[0], soon());
	weft_tls_close(end[1], soon());
}

#define EXPECT_WHY(t, part) \
	do { \
		char expect_why[256]; \
		weft_tls_error((t), expect_why, sizeof(expect_why)); \
		EXPECT_CONTAINS(expect_why, part); \
	} while (0)

#endif /* WEFT_TEST_TLS_TLS_UTIL_H */
