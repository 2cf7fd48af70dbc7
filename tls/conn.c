/*
 * Connections: made, closed, asked about.
 */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void
destroy(weft_tls *t)
{
	SSL_free(t->ssl);
	ERR_clear_error();
	weft_tls_context_free(t->context);
	wf_tls_bytes_drop(&t->in);
	wf_tls_bytes_drop(&t->out);
	wf_tls_bytes_drop(&t->sending);
	free(t->server_name);
	free(t->alpn);
	free(t);
}

static weft_tls *
make(weft_tls_context *c, int fd, bool is_server)
{
	weft_tls *t = calloc(1, sizeof(*t));
	SSL_CTX *ssl;

	if (t == NULL)
		return NULL;
	t->context = wf_tls_context_ref(c);
	t->fd = fd;
	t->is_server = is_server;
	weft_sem_init(&t->reading, 1);
	weft_sem_init(&t->writing, 1);
	ssl = wf_tls_context_get(c);
	t->ssl = SSL_new(ssl);
	SSL_CTX_free(ssl);
	if (t->ssl == NULL || wf_tls_attach(t) < 0) {
		destroy(t);
		return NULL;
	}
	return t;
}

/* Whom the server's certificate must be for: an address, or a name, which the server is told. */
static int
expect_host(weft_tls *t, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	size_t n = strlen(host);

	t->server_name = strdup(host);
	if (t->server_name == NULL)
		return -ENOMEM;
	/* "example.org." is the same name, but no certificate has it so. */
	if (n > 1 && t->server_name[n - 1] == '.')
		t->server_name[n - 1] = '\0';
	if (X509_VERIFY_PARAM_set1_ip_asc(param, t->server_name) == 1)
		return 0;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, t->server_name, 0) == 1 &&
		SSL_set_tlsext_host_name(t->ssl, t->server_name) == 1
	    ? 0
	    : -EINVAL;
}

int
weft_tls_client(weft_tls_context *c, int fd, const char *host, weft_tls **ret_tls)
{
	bool verifies = c->verify != WEFT_TLS_VERIFY_NONE;
	weft_tls *t;
	int r = 0;

	if (verifies && (host == NULL || *host == '\0'))
		return -EINVAL;
	t = make(c, fd, /* is_server */ false);
	if (t == NULL)
		return -ENOMEM;
	SSL_set_connect_state(t->ssl);
	SSL_set_verify(t->ssl, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (host != NULL && *host != '\0')
		r = expect_host(t, host);
	ERR_clear_error();
	if (r < 0) {
		destroy(t);
		return r;
	}
	*ret_tls = t;
	return 0;
}

int
weft_tls_server(weft_tls_context *c, int fd, weft_tls **ret_tls)
{
	weft_tls *t;

	if (!c->has_cert)
		return -EINVAL;
	t = make(c, fd, /* is_server */ true);
	if (t == NULL)
		return -ENOMEM;
	SSL_set_accept_state(t->ssl);
	SSL_set_verify(t->ssl,
	    c->verify == WEFT_TLS_VERIFY_PEER ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
					      : SSL_VERIFY_NONE,
	    NULL);
	*ret_tls = t;
	return 0;
}

int
weft_tls_dial(weft_tls_context *c, const char *network, const char *address, weft_tls **ret_tls,
    int64_t deadline)
{
	const char *colon = strrchr(address, ':'), *start = address;
	size_t n = colon != NULL ? (size_t)(colon - address) : strlen(address);
	char host[256];
	weft_tls *t;
	int fd, r;

	if (n >= 2 && start[0] == '[' && start[n - 1] == ']') {
		start++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, n);
	host[n] = '\0';
	fd = weft_dial(network, address, deadline);
	if (fd < 0)
		return fd;
	r = weft_tls_client(c, fd, host, &t);
	if (r < 0) {
		weft_close(fd);
		return r;
	}
	r = weft_tls_handshake(t, deadline);
	if (r < 0) {
		weft_tls_close(t, WEFT_NOW);
		return r;
	}
	*ret_tls = t;
	return 0;
}

int
weft_tls_close(weft_tls *t, int64_t deadline)
{
	int r = 0, closed;

	if (t == NULL)
		return 0;
	/* Nobody else is here: no lock. Without a handshake there is nothing to take leave of. */
	if (t->is_open && t->broken == 0)
		r = weft_tls_close_write(t, deadline);
	/* A goroutine that sends our rest leaves when there is nowhere to send it. Half a handshake
	 * is a rest, too. */
	if (r < 0 || t->broken != 0 || !t->is_open)
		shutdown(t->fd, SHUT_RDWR);
	while (weft_waitgroup_wait(&t->finishers, WEFT_FOREVER) == -ECANCELED)
		weft_yield();
	closed = weft_close(t->fd);
	destroy(t);
	return r < 0 ? r : closed;
}

void
weft_tls_error(weft_tls *t, char *text, size_t size)
{
	weft_mutex_lock(&t->lock);
	if (size > 0)
		snprintf(text, size, "%s", t->why);
	weft_mutex_unlock(&t->lock);
}

/* Null until the handshake is done, and constant from then on. */
static const char *
agreed(weft_tls *t, char *const *text)
{
	const char *p;

	weft_mutex_lock(&t->lock);
	p = *text;
	weft_mutex_unlock(&t->lock);
	return p != NULL ? p : "";
}

const char *
weft_tls_alpn(weft_tls *t)
{
	return agreed(t, &t->alpn);
}

const char *
weft_tls_server_name(weft_tls *t)
{
	return agreed(t, &t->server_name);
}

const char *
weft_tls_version(weft_tls *t)
{
	const char *version;

	weft_mutex_lock(&t->lock);
	version = t->is_open ? SSL_get_version(t->ssl) : "";
	weft_mutex_unlock(&t->lock);
	return version;
}

int
weft_tls_fd(const weft_tls *t)
{
	return t->fd;
}

void *
weft_tls_native(weft_tls *t)
{
	return t->ssl;
}
