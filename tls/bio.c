/*
 * A BIO whose other end is two buffers of the connection: OpenSSL reads t->in and writes t->out,
 * and so never waits, nor calls the system, nor weft. Always called under t->lock.
 */
#include "tls.h"

#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>

void
wf_tls_bytes_drop(struct wf_tls_bytes *b)
{
	free(b->p);
	*b = (struct wf_tls_bytes){0};
}

bool
wf_tls_bytes_grow(struct wf_tls_bytes *b, size_t n, size_t max)
{
	size_t cap = b->cap > 0 ? b->cap : 4096;
	unsigned char *p;

	while (cap < b->end + n)
		cap *= 2;
	if (cap > max)
		cap = max;
	if (cap == b->cap)
		return true;
	p = realloc(b->p, cap);
	if (p == NULL)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

/* Appends what there is room for; OpenSSL asks again for the rest. */
static int
bio_write(BIO *bio, const char *data, int n)
{
	weft_tls *t = BIO_get_data(bio);
	size_t fits;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	if (!wf_tls_bytes_grow(&t->out, (size_t)n, WF_TLS_OUT_MAX))
		return -1;
	fits = t->out.cap - t->out.end;
	if (fits > (size_t)n)
		fits = (size_t)n;
	if (fits == 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(t->out.p + t->out.end, data, fits);
	t->out.end += fits;
	return (int)fits;
}

/* The end of the stream is not told to OpenSSL: wf_tls_fill() deals with it. */
static int
bio_read(BIO *bio, char *to, int n)
{
	weft_tls *t = BIO_get_data(bio);
	size_t there = t->in.end - t->in.start;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	if (there == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (there > (size_t)n)
		there = (size_t)n;
	memcpy(to, t->in.p + t->in.start, there);
	t->in.start += there;
	return (int)there;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *method;

static void
make_method(void *unused)
{
	(void)unused;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft-tls");
	if (method == NULL)
		return;
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

int
wf_tls_attach(weft_tls *t)
{
	static weft_once once;
	BIO *bio;

	weft_once_do(&once, make_method, NULL);
	bio = method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL)
		return -ENOMEM;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	return 0;
}
