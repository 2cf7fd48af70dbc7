/*
 * The bytes of a connection: straight from and to the socket, or by TLS. Nobody else knows which.
 */
#include "httpd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifdef HAVE_TLS

/* All that we speak: a client that offers only others is better refused than misunderstood. */
static const char *const protocols[] = { "http/1.1", NULL };

int
wire_start(struct server *s)
{
	weft_tls_options o = {
		.size = sizeof(o),
		.cert_file = s->opt.cert,
		.key_file = s->opt.key,
		.alpn = protocols,
	};
	char why[256];
	int r;

	if (!s->opt.cert)
		return 0;
	r = weft_tls_context_new(&o, why, sizeof(why), &s->tls);
	if (r < 0)
		say("cannot use the certificate: %s", *why ? why : strerror(-r));
	return r < 0;
}

/* The handshake has the time of a request; who does not finish it is nobody to answer. */
bool
wire_open(struct conn *c)
{
	if (!c->server->tls)
		return true;
	return weft_tls_server(c->server->tls, c->fd, &c->tls) == 0 &&
	       weft_tls_handshake(c->tls, weft_in(c->server->opt.request_ns)) == 0;
}

int
wire_end(struct conn *c)
{
	/* The client may take no more: then it need not be told that no more comes. */
	if (c->tls)
		weft_tls_close_write(c->tls, weft_in(SECOND));
	return sys_shutdown(c->fd, SHUT_WR);
}

void
wire_close(struct conn *c)
{
	if (c->tls)
		weft_tls_close(c->tls, weft_in(SECOND));
	else
		weft_close(c->fd);
}

#else

int
wire_start(struct server *s)
{
	if (s->opt.cert)
		say("this weft-httpd was built without TLS");
	return s->opt.cert != NULL;
}

bool
wire_open(struct conn *c)
{
	(void)c;
	return true;
}

int
wire_end(struct conn *c)
{
	return sys_shutdown(c->fd, SHUT_WR);
}

void
wire_close(struct conn *c)
{
	weft_close(c->fd);
}

/* Without the library there is no connection that would call these. */
#define weft_tls_read(tls, buf, n, deadline) ((ssize_t)-ENOSYS)
#define weft_tls_write(tls, buf, n, deadline) ((ssize_t)-ENOSYS)

#endif

ssize_t
wire_read(struct conn *c, void *buf, size_t n, int64_t deadline)
{
	if (c->tls)
		return weft_tls_read(c->tls, buf, n, deadline);
	return weft_read(c->fd, buf, n, deadline);
}

ssize_t
wire_send(struct conn *c, const void *buf, size_t n, bool more, int64_t deadline)
{
	if (c->tls)
		return weft_tls_write(c->tls, buf, n, deadline);
	return weft_send(c->fd, buf, n, more ? MSG_MORE : 0, deadline);
}

/*
 * What has been read of the socket has been decrypted and read by us, but for the rest of a record
 * that is on its way: so the next byte is announced by the socket with TLS, too.
 */
bool
wire_await(struct conn *c, int64_t deadline)
{
	return weft_poll(c->fd, POLLIN, deadline) > 0;
}

/* As weft_sendfile(). The kernel does not encrypt for us: with TLS the file is read and written. */
ssize_t
wire_send_file(struct conn *c, int file, off_t *off, size_t n, int64_t deadline)
{
	struct work *w = c->work;
	ssize_t got, sent;

	if (!c->tls)
		return weft_sendfile(c->fd, file, off, n, deadline);
	/* out[] has been flushed: it is free. */
	got = weft_pread(file, w->out, n < OUT_CAP ? n : OUT_CAP, *off, WEFT_FOREVER);
	if (got <= 0)
		return got;
	sent = wire_send(c, w->out, (size_t)got, /* more */ false, deadline);
	if (sent > 0)
		*off += sent;
	return sent;
}
