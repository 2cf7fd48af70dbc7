/*
 * Contexts: options made into an SSL_CTX, once, and again when files have changed.
 */
#include "tls.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- references ---- */

weft_tls_context *
wf_tls_context_ref(weft_tls_context *c)
{
	pthread_mutex_lock(&c->lock);
	c->refs++;
	pthread_mutex_unlock(&c->lock);
	return c;
}

SSL_CTX *
wf_tls_context_get(weft_tls_context *c)
{
	SSL_CTX *ssl;

	pthread_mutex_lock(&c->lock);
	ssl = c->ssl;
	SSL_CTX_up_ref(ssl);
	pthread_mutex_unlock(&c->lock);
	return ssl;
}

void
weft_tls_context_free(weft_tls_context *c)
{
	int left;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	left = --c->refs;
	pthread_mutex_unlock(&c->lock);
	if (left > 0)
		return;
	wf_tls_hosts_free(c->hosts);
	SSL_CTX_free(c->ssl);
	pthread_mutex_destroy(&c->lock);
	free(c->cert_file);
	free(c->key_file);
	free(c->ca_file);
	free(c->alpn);
	free(c);
}

/* ---- from options to an SSL_CTX ---- */

/* OpenSSL would ask on the terminal for the password of an encrypted key. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
    const unsigned char *offered, unsigned int offered_len, void *arg)
{
	weft_tls_context *c = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, ret_len, c->alpn, c->alpn_len, offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Never inlined, as all that looks at errno (docs/errno.md). 0 or why the file cannot be read. */
static __attribute__((noinline)) int
look_at(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* The result of a call that reads @path: 1 is good. */
static int
checked(int result, const char *path, char *why, size_t why_size)
{
	char said[WF_TLS_WHY_MAX];
	int err;

	if (result == 1)
		return 0;
	err = look_at(path);
	if (err < 0) {
		wf_tls_say(why, why_size, path, err);
		ERR_clear_error();
		return err;
	}
	err = wf_tls_take_error(NULL, said, sizeof(said));
	if (why_size > 0)
		snprintf(why, why_size, "%s: %s", path, said);
	return err == -ENOMEM ? err : -EINVAL;
}

static int
load_certificate(weft_tls_context *c, SSL_CTX *ssl, char *why, size_t why_size)
{
	const char *key = c->key_file != NULL ? c->key_file : c->cert_file;
	int r;

	if (c->cert_file == NULL)
		return 0;
	r = checked(SSL_CTX_use_certificate_chain_file(ssl, c->cert_file), c->cert_file, why,
	    why_size);
	if (r == 0)
		r = checked(SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM), key, why,
		    why_size);
	if (r == 0)
		r = checked(SSL_CTX_check_private_key(ssl), key, why, why_size);
	return r;
}

static int
load_trust(weft_tls_context *c, SSL_CTX *ssl, char *why, size_t why_size)
{
	if (c->verify == WEFT_TLS_VERIFY_NONE)
		return 0;
	if (c->ca_file == NULL)
		return checked(SSL_CTX_set_default_verify_paths(ssl), "/", why, why_size);
	/* To clients the server names those whose certificates it would take. */
	if (c->verify == WEFT_TLS_VERIFY_PEER)
		SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(c->ca_file));
	return checked(SSL_CTX_load_verify_file(ssl, c->ca_file), c->ca_file, why, why_size);
}

static int
set_up(weft_tls_context *c, SSL_CTX *ssl, char *why, size_t why_size)
{
	static const unsigned char id[] = "weft-tls";
	int r;

	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_default_passwd_cb(ssl, no_password);
	SSL_CTX_set_session_id_context(ssl, id, sizeof(id) - 1);
	SSL_CTX_set_tlsext_servername_callback(ssl, wf_tls_choose_host);
	SSL_CTX_set_tlsext_servername_arg(ssl, c);
	if (SSL_CTX_set_min_proto_version(ssl, c->min_version) != 1)
		return -EINVAL;
	if (c->alpn_len > 0) {
		if (SSL_CTX_set_alpn_protos(ssl, c->alpn, c->alpn_len) != 0)
			return -ENOMEM;
		SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, c);
	}
	r = load_trust(c, ssl, why, why_size);
	return r < 0 ? r : load_certificate(c, ssl, why, why_size);
}

/*
 * main() may return while goroutines are in the middle of TLS. At exit OpenSSL would free what they
 * use, unless it is told not to, before anything else is asked of it.
 */
static void
keep_openssl_at_exit(void *unused)
{
	(void)unused;
	OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
}

/* Reads files, so it is marked as a call that blocks; nothing in it waits through weft. */
static int
build(weft_tls_context *c, char *why, size_t why_size, SSL_CTX **ret_ssl)
{
	static weft_once once;
	SSL_CTX *ssl;
	int r = -ENOMEM;

	wf_tls_say(why, why_size, "out of memory", 0);
	weft_once_do(&once, keep_openssl_at_exit, NULL);
	weft_syscall_enter();
	ERR_clear_error();
	ssl = SSL_CTX_new(TLS_method());
	if (ssl != NULL)
		r = set_up(c, ssl, why, why_size);
	if (r < 0) {
		SSL_CTX_free(ssl);
		ssl = NULL;
	}
	ERR_clear_error();
	weft_syscall_exit();
	*ret_ssl = ssl;
	return r;
}

/* ---- options ---- */

/* Names into the form that the protocol has for them. 0, -EINVAL or -ENOMEM. */
static int
copy_alpn(weft_tls_context *c, const char *const *names)
{
	size_t total = 0;
	unsigned char *p;

	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		size_t n = strlen(names[i]);

		if (n == 0 || n > 255)
			return -EINVAL;
		total += 1 + n;
	}
	if (total == 0)
		return 0;
	if (total > 65535)
		return -EINVAL;
	c->alpn = p = malloc(total);
	if (p == NULL)
		return -ENOMEM;
	c->alpn_len = (unsigned int)total;
	for (size_t i = 0; names[i] != NULL; i++) {
		size_t n = strlen(names[i]);

		*p++ = (unsigned char)n;
		memcpy(p, names[i], n);
		p += n;
	}
	return 0;
}

static int
copy_text(const char *from, char **to)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
}

static int
copy_options(weft_tls_context *c, const weft_tls_options *o)
{
	int r;

	if (o->verify < WEFT_TLS_VERIFY_DEFAULT || o->verify > WEFT_TLS_VERIFY_NONE ||
	    (o->min_version != 0 && o->min_version != WEFT_TLS_1_2 &&
		o->min_version != WEFT_TLS_1_3) ||
	    (o->key_file != NULL && o->cert_file == NULL))
		return -EINVAL;
	c->verify = o->verify;
	c->min_version = o->min_version != 0 ? o->min_version : WEFT_TLS_1_2;
	c->has_cert = o->cert_file != NULL;
	if ((r = copy_text(o->cert_file, &c->cert_file)) < 0 ||
	    (r = copy_text(o->key_file, &c->key_file)) < 0 ||
	    (r = copy_text(o->ca_file, &c->ca_file)) < 0)
		return r;
	return copy_alpn(c, o->alpn);
}

int
weft_tls_context_new(const weft_tls_options *o, char *why, size_t why_size,
    weft_tls_context **ret_context)
{
	weft_tls_options all = {.size = sizeof(all)};
	weft_tls_context *c;
	int r;

	if (why == NULL)
		why_size = 0;
	wf_tls_say(why, why_size, "an option makes no sense", 0);
	/* A program built against an older header has fewer options, against a newer one more. */
	if (o != NULL && o->size < sizeof(o->size))
		return -EINVAL;
	if (o != NULL)
		memcpy(&all, o, o->size < sizeof(all) ? o->size : sizeof(all));
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->refs = 1;
	r = copy_options(c, &all);
	if (r == 0)
		r = build(c, why, why_size, &c->ssl);
	if (r < 0) {
		weft_tls_context_free(c);
		return r;
	}
	wf_tls_say(why, why_size, "", 0);
	*ret_context = c;
	return 0;
}

int
weft_tls_context_reload(weft_tls_context *c, char *why, size_t why_size)
{
	SSL_CTX *fresh, *old;
	int r = build(c, why, why != NULL ? why_size : 0, &fresh);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	old = c->ssl;
	c->ssl = fresh;
	pthread_mutex_unlock(&c->lock);
	SSL_CTX_free(old);
	wf_tls_say(why, why != NULL ? why_size : 0, "", 0);
	return 0;
}
