/*
 * The insides of weft-tls, for the files of this folder. README.md has the protocol between the
 * goroutines that use one connection. Sees <weft.h> and OpenSSL, nothing of src/.
 */
#ifndef WEFT_TLS_TLS_H
#define WEFT_TLS_TLS_H

#include <weft.h>
#include <weft/tls.h>

#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>

enum {
	WF_TLS_RECORD_MAX = 16384,	/* plain bytes in a record (RFC 8446 5.1) */
	/* A record as it travels; TLS 1.2 allows 2,048 bytes more than are in it. */
	WF_TLS_IN_CAP = 5 + WF_TLS_RECORD_MAX + 2048,
	/* So much a write encrypts before it is sent: fewer calls, and still in the cache. */
	WF_TLS_BATCH = 4 * WF_TLS_RECORD_MAX,
	WF_TLS_OUT_MAX = WF_TLS_BATCH + WF_TLS_IN_CAP,
	WF_TLS_WHY_MAX = 256,
};

/* Bytes p[start..end) of cap. No memory while there are none and nobody fills it. */
struct wf_tls_bytes {
	unsigned char *p;
	size_t start, end, cap;
};

/* One name that a server has other certificates for. */
struct wf_tls_host {
	struct wf_tls_host *next;
	weft_tls_context *context;	/* holds a reference */
	size_t name_len;
	char name[];			/* lower case; ".example.org" for "*.example.org" */
};

/*
 * A context. Freed with its last reference: the caller's, one per connection, one per entry of
 * another context's hosts.
 *
 *	c  constant once weft_tls_context_new() has returned
 *	l  under lock
 */
struct weft_tls_context {
	pthread_mutex_t lock;		/* a plain one: OpenSSL's call-backs take it */
	int refs;			/* l */
	SSL_CTX *ssl;			/* l  replaced as a whole; connections hold their own */
	struct wf_tls_host *hosts;	/* l  only ever grows, at its head */
	int verify, min_version;	/* c */
	bool has_cert;			/* c */
	char *cert_file, *key_file, *ca_file;	/* c  NULL if not given */
	unsigned char *alpn;		/* c  as in the protocol: length, name, length, name */
	unsigned int alpn_len;		/* c */
};

/*
 * A connection. Made and freed by its user, who sees to it that it is not used then.
 *
 *	c  constant once it is made
 *	l  under lock
 *	r  the holder of reading
 *	w  the holder of writing
 *
 * Two letters: both are needed to write, either is enough to read.
 */
struct weft_tls {
	weft_tls_context *context;	/* c  holds a reference */
	int fd;				/* c */
	bool is_server;			/* c */
	weft_sem reading;		/* 1 permit; taken before writing where both are needed */
	weft_sem writing;		/* 1 permit */
	weft_mutex lock;		/* around every call of OpenSSL; never while waiting */
	SSL *ssl;			/* l  the object it points to */
	struct wf_tls_bytes in;		/* rl start, end; r  the memory, and what lies past end */
	struct wf_tls_bytes out;	/* l  encrypted, for whoever holds writing */
	struct wf_tls_bytes sending;	/* w  taken from out, on its way to the socket */
	weft_waitgroup finishers;	/* goroutines that hold writing for one that gave up */
	bool is_open;			/* rwl  there was a handshake */
	bool is_write_closed;		/* l  close_notify is in out, or gone */
	int broken;			/* l  not 0: the result of all further calls */
	int input_error;		/* r  not 0: there is no more input, and why */
	int output_error;		/* w  not 0: nothing can be sent any more, and why */
	char why[WF_TLS_WHY_MAX];	/* l */
	char *server_name, *alpn;	/* c  once is_open */
};

/* ---- error.c ---- */

/* Makes a negative errno of what OpenSSL has just said on this thread, and empties its queue. */
int wf_tls_take_error(SSL *ssl, char *why, size_t why_size);

/* The text for a negative errno, into why. */
void wf_tls_say(char *why, size_t why_size, const char *what, int err);

/* ---- bio.c ---- */

/* Makes ssl read t->in and write t->out. 0 or -ENOMEM. */
int wf_tls_attach(weft_tls *t);

void wf_tls_bytes_drop(struct wf_tls_bytes *b);

/* Room for n more bytes at the end, within max. False: no memory. */
bool wf_tls_bytes_grow(struct wf_tls_bytes *b, size_t n, size_t max);

/* ---- context.c ---- */

weft_tls_context *wf_tls_context_ref(weft_tls_context *c);

/* The current SSL_CTX, with a reference for the caller. */
SSL_CTX *wf_tls_context_get(weft_tls_context *c);

/* ---- host.c ---- */

/* OpenSSL asks which certificates to show. @arg is the context. */
int wf_tls_choose_host(SSL *ssl, int *alert, void *arg);
void wf_tls_hosts_free(struct wf_tls_host *h);

/* ---- pump.c: all between OpenSSL and the socket ---- */

/* What a step of OpenSSL asks for. Others: >= 0 its result, < 0 the connection is broken. */
enum {
	WF_TLS_WANT_INPUT = -100000,
	WF_TLS_WANT_ROOM = -100001,
};

/* The result of an OpenSSL call that returned @ret <= 0. Under lock, right after the call. */
int wf_tls_outcome(weft_tls *t, int ret);

/* Waits for bytes from the socket. The holder of reading calls it; in is empty. 0 or an error. */
int wf_tls_fill(weft_tls *t, int64_t deadline);

/* Sends all of sending and out. The holder of writing calls it. 0 or the error. */
int wf_tls_flush(weft_tls *t, int64_t deadline);

/* Gives up writing; what is still in out is sent by itself, by a goroutine if need be. */
void wf_tls_release_writing(weft_tls *t);

/* Sees to it that what OpenSSL has just put into out is sent, without waiting. */
void wf_tls_push(weft_tls *t);

#endif /* WEFT_TLS_TLS_H */
