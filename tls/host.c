/*
 * Several names served by one listener: which certificates a client is shown that says whom it
 * wants to talk to (SNI).
 */
#include "tls.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HOST_MAX = 253,		/* of a name in the DNS */
};

int
weft_tls_context_add_host(weft_tls_context *c, const char *host, weft_tls_context *other)
{
	const char *name = strncmp(host, "*.", 2) == 0 ? host + 1 : host;
	size_t n = strlen(name);
	struct wf_tls_host *h;

	if (other == c || n < 2 || n > HOST_MAX || strchr(name, '*') != NULL)
		return -EINVAL;
	h = malloc(sizeof(*h) + n + 1);
	if (h == NULL)
		return -ENOMEM;
	h->context = wf_tls_context_ref(other);
	h->name_len = n;
	memcpy(h->name, name, n + 1);
	pthread_mutex_lock(&c->lock);
	h->next = c->hosts;
	c->hosts = h;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

void
wf_tls_hosts_free(struct wf_tls_host *h)
{
	while (h != NULL) {
		struct wf_tls_host *next = h->next;

		weft_tls_context_free(h->context);
		free(h);
		h = next;
	}
}

/* The whole name counts for more than an asterisk, whichever was added first. */
static weft_tls_context *
find(struct wf_tls_host *hosts, const char *name)
{
	const char *dot = strchr(name, '.');

	for (struct wf_tls_host *h = hosts; h != NULL; h = h->next)
		if (strcasecmp(h->name, name) == 0)
			return h->context;
	for (struct wf_tls_host *h = hosts; h != NULL && dot != NULL; h = h->next)
		if (strcasecmp(h->name, dot) == 0)
			return h->context;
	return NULL;
}

int
wf_tls_choose_host(SSL *ssl, int *alert, void *arg)
{
	weft_tls_context *c = arg, *other = NULL;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *certificates;

	(void)alert;
	if (name != NULL) {
		pthread_mutex_lock(&c->lock);
		other = find(c->hosts, name);
		pthread_mutex_unlock(&c->lock);
	}
	if (other != NULL) {
		certificates = wf_tls_context_get(other);
		SSL_set_SSL_CTX(ssl, certificates);
		SSL_CTX_free(certificates);
	}
	return SSL_TLSEXT_ERR_OK;
}
