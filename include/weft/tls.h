/*
 * TLS 1.2 and 1.3 on a connected socket, in plain blocking style: the companion library weft-tls,
 * over OpenSSL 3. Link with -lweft-tls (pkg-config weft-tls, CMake weft::tls). Not part of
 * <weft.h>.
 *
 * A context holds what connections share: certificates, whom to trust, what to offer. A
 * connection belongs to no goroutine: one may read while another writes, and several readers, or
 * writers, wait in line.
 *
 * A client verifies the certificate of the server and the host name in it; that must be turned
 * off explicitly. Renegotiation is refused. The end of the stream is what the peer says is the
 * end (close_notify); a connection that just breaks off is an error.
 *
 * Common results of all that wait, besides those of weft_read() and weft_write(): -ETIMEDOUT and
 * -ECANCELED (both leave the connection usable: call again), and, from then on for every call,
 *
 *	-EKEYREJECTED	the peer's certificate is not accepted, or there is none
 *	-EPROTO		the peer does not keep to the protocol, shares no version or cipher with
 *			us, or sent an alert
 *	-ECONNABORTED	the stream ended without a close_notify: what was read may be a part only
 *
 * weft_tls_error() says the same in words. OpenSSL's queue of errors belongs to a thread: it is
 * empty whenever one of these calls waits, and when it returns.
 */
#ifndef WEFT_TLS_H
#define WEFT_TLS_H

#include <sys/types.h>
#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_tls_context weft_tls_context;
typedef struct weft_tls weft_tls;

/* Whom we demand a certificate of. */
enum weft_tls_verify {
	WEFT_TLS_VERIFY_DEFAULT, /* clients of the server; servers of nobody */
	WEFT_TLS_VERIFY_PEER,    /* servers of their clients, too */
	WEFT_TLS_VERIFY_NONE,    /* nobody: anyone in between can read and change everything */
};

/* Versions, for min_version. */
enum {
	WEFT_TLS_1_2 = 0x0303,
	WEFT_TLS_1_3 = 0x0304,
};

typedef struct weft_tls_options { /* zero = defaults; size-versioned by the first member */
	size_t size;		/* sizeof(weft_tls_options) */
	const char *cert_file;	/* PEM: our certificate, then its chain; a server needs one */
	const char *key_file;	/* PEM: its private key; NULL: it is in cert_file */
	const char *ca_file;	/* PEM: whom we trust; NULL: whom the system trusts */
	int verify;		/* enum weft_tls_verify */
	int min_version;	/* 0: WEFT_TLS_1_2 */
	/*
	 * Names of protocols (ALPN), the preferred first, then NULL. A client offers them; a
	 * server takes its first that the client offers, and refuses a client that offers others.
	 */
	const char *const *alpn;
} weft_tls_options;

/**
 * weft_tls_context_new - read the certificates that connections will share
 * @o:        copied, what it points to as well; NULL for a client with all defaults
 * @why:      room for the reason in words, if it fails; may be NULL
 * @why_size: of @why, in bytes
 * @ret_context: the context, to be given to weft_tls_context_free()
 *
 * Returns 0, -EINVAL (a nonsensical option, a file that holds no certificate or key, or a key of
 * another certificate), -ENOENT, -EACCES, ... (a file cannot be read), -ENOMEM.
 */
WEFT_API WEFT_MUST_USE int weft_tls_context_new(const weft_tls_options *o, char *why,
    size_t why_size, weft_tls_context **ret_context);

/**
 * weft_tls_context_reload - read the files again, for connections made from now on
 *
 * Results as weft_tls_context_new(); if it fails, what was there before stays in use. May be called
 * while other goroutines make connections. Connections that exist keep what they began with.
 */
WEFT_API WEFT_MUST_USE int weft_tls_context_reload(weft_tls_context *c, char *why, size_t why_size);

/**
 * weft_tls_context_add_host - serve one host name with the certificates of another context
 * @host:  "www.example.org", or "*.example.org" for one label in place of the asterisk
 * @other: kept referenced by @c; its certificates only count, as they are when a client comes
 *
 * For a server of several names: the client says which it wants (SNI). Other names, and clients
 * that name none, get @c's own. Returns 0, -EINVAL (no host name), or -ENOMEM.
 */
WEFT_API WEFT_MUST_USE int weft_tls_context_add_host(weft_tls_context *c, const char *host,
    weft_tls_context *other);

/** weft_tls_context_free - give up the context; its connections go on. NULL is allowed. */
WEFT_API void weft_tls_context_free(weft_tls_context *c);

/**
 * weft_tls_client, weft_tls_server - make a connection of a connected stream socket
 * @fd:   belongs to the connection from now on, if this succeeds: weft_tls_close() closes it
 * @host: the name, or numeric address, that the server's certificate must be for, and that the
 *        server is told (SNI); NULL only without verification
 *
 * Does not wait: the handshake is made by the first call that needs it, or weft_tls_handshake().
 * Returns 0, -EINVAL (no host; a server without a certificate), or -ENOMEM; @fd is then still the
 * caller's.
 */
WEFT_API WEFT_MUST_USE int weft_tls_client(weft_tls_context *c, int fd, const char *host,
    weft_tls **ret_tls);
WEFT_API WEFT_MUST_USE int weft_tls_server(weft_tls_context *c, int fd, weft_tls **ret_tls);

/**
 * weft_tls_dial - weft_dial(), weft_tls_client() for the host in @address, and the handshake
 *
 * Returns 0, or what these return. The reason in words is lost with the connection: who wants it
 * takes the three steps himself.
 */
WEFT_API WEFT_MUST_USE int weft_tls_dial(weft_tls_context *c, const char *network,
    const char *address, weft_tls **ret_tls, int64_t deadline);

/**
 * weft_tls_handshake - agree on keys, and look at the peer's certificate
 *
 * Returns 0, at once if that has been done. A client whose certificate the server does not like
 * may hear of it only when it reads (TLS 1.3).
 */
WEFT_API WEFT_MUST_USE int weft_tls_handshake(weft_tls *t, int64_t deadline);

/** weft_tls_read - the bytes read, 0 when the peer has said that there are no more, or an error. */
WEFT_API ssize_t weft_tls_read(weft_tls *t, void *buf, size_t n, int64_t deadline);

/**
 * weft_tls_write - all @n bytes unless it fails; then the bytes that went, or the error if none
 *
 * What went may be in a buffer of the connection still, as it may be in the socket's: up to 64 KiB
 * that the socket had no room for at the deadline. It goes with the next call of any kind, and
 * every read sends it while it waits.
 */
WEFT_API ssize_t weft_tls_write(weft_tls *t, const void *buf, size_t n, int64_t deadline);

/**
 * weft_tls_close_write - say that no more will be written (close_notify)
 *
 * Reading goes on. Writes are -EPIPE from now on. Returns 0, also the second time.
 */
WEFT_API int weft_tls_close_write(weft_tls *t, int64_t deadline);

/**
 * weft_tls_close - weft_tls_close_write() if there was a handshake, close the socket, free @t
 *
 * No other goroutine may be using @t; shutdown(2) of weft_tls_fd(), or cancelling its scope, makes
 * one leave. @t is freed whatever is returned: the result of the first step, or of close(2). NULL
 * is allowed: 0.
 */
WEFT_API int weft_tls_close(weft_tls *t, int64_t deadline);

/** weft_tls_error - what went wrong last, in words, into @text; "" if nothing has. */
WEFT_API void weft_tls_error(weft_tls *t, char *text, size_t size);

/**
 * weft_tls_alpn, weft_tls_server_name, weft_tls_version - what the handshake agreed on
 *
 * The protocol, "" if none; the name that the client asked for, "" if none (a client gets its own
 * @host); "TLSv1.3". They live as long as @t does. Before the handshake nothing is agreed.
 */
WEFT_API const char *weft_tls_alpn(weft_tls *t);
WEFT_API const char *weft_tls_server_name(weft_tls *t);
WEFT_API const char *weft_tls_version(weft_tls *t);

/** weft_tls_fd - the socket, to look at; it stays the connection's. */
WEFT_API int weft_tls_fd(const weft_tls *t);

/**
 * weft_tls_native - OpenSSL's SSL *, for what is not here (the peer's certificate, say)
 *
 * While no other goroutine uses @t. Nothing that reads, writes or shuts down; and ERR_clear_error()
 * before the next weft call.
 */
WEFT_API void *weft_tls_native(weft_tls *t);

WEFT_END_DECLS

#endif /* WEFT_TLS_H */
