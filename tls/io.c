/*
 * Handshake, read, write, end. Each is a loop: a step of OpenSSL under the lock, then what that
 * asks for, without the lock.
 */
#include "tls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

/* ---- handshake ---- */

/* Under lock. What others ask for later is copied now: OpenSSL's own may change. */
static int
note_agreed(weft_tls *t)
{
	const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned int n;

	SSL_get0_alpn_selected(t->ssl, &alpn, &n);
	if (name != NULL && t->server_name == NULL)
		t->server_name = strdup(name);
	if (n > 0)
		t->alpn = strndup((const char *)alpn, n);
	t->is_open = true;
	return (n > 0 && t->alpn == NULL) || (name != NULL && t->server_name == NULL) ? -ENOMEM : 0;
}

static int
handshake_step(weft_tls *t)
{
	int r;

	weft_mutex_lock(&t->lock);
	r = t->broken;
	if (r == 0) {
		ERR_clear_error();
		r = SSL_do_handshake(t->ssl);
		r = r == 1 ? note_agreed(t) : wf_tls_outcome(t, r);
		/* 0 of wf_tls_outcome() is a close_notify: no way to begin. */
		if (r == 0 && !t->is_open) {
			wf_tls_say(t->why, sizeof(t->why), "closed in the handshake", 0);
			r = t->broken = -EPROTO;
		}
	}
	weft_mutex_unlock(&t->lock);
	return r;
}

/* The holder of reading and writing. */
static int
shake_hands(weft_tls *t, int64_t deadline)
{
	while (!t->is_open) {
		int r = handshake_step(t);
		/* If we refuse the peer, this sends it the alert that says why. */
		int sent = wf_tls_flush(t, deadline);

		if (r < 0 && r != WF_TLS_WANT_INPUT && r != WF_TLS_WANT_ROOM)
			return r;
		/* A peer that has refused us takes nothing, but has left an alert. */
		if (r == WF_TLS_WANT_INPUT && (sent == 0 || sent == t->output_error))
			sent = wf_tls_fill(t, deadline);
		if (sent < 0)
			return sent;
	}
	return 0;
}

/* Makes the handshake if nobody has. The caller holds neither permit. */
static int
establish(weft_tls *t, int64_t deadline)
{
	bool is_open;
	int r;

	weft_mutex_lock(&t->lock);
	is_open = t->is_open;
	r = t->broken;
	weft_mutex_unlock(&t->lock);
	if (is_open || r < 0)
		return r;
	r = weft_sem_acquire(&t->reading, 1, deadline);
	if (r < 0)
		return r;
	r = weft_sem_acquire(&t->writing, 1, deadline);
	if (r == 0) {
		r = shake_hands(t, deadline);
		wf_tls_release_writing(t);
	}
	weft_sem_release(&t->reading, 1);
	return r;
}

int
weft_tls_handshake(weft_tls *t, int64_t deadline)
{
	return establish(t, deadline);
}

/* ---- read ---- */

/* One try. ret_said: OpenSSL has written something, an answer to a key update or an alert. */
static ssize_t
read_step(weft_tls *t, void *buf, size_t n, bool *ret_said)
{
	size_t got = 0;
	ssize_t r;

	weft_mutex_lock(&t->lock);
	r = t->broken;
	if (r == 0) {
		ERR_clear_error();
		r = SSL_read_ex(t->ssl, buf, n, &got) == 1 ? (ssize_t)got : wf_tls_outcome(t, 0);
	}
	*ret_said = t->out.start < t->out.end;
	weft_mutex_unlock(&t->lock);
	return r;
}

/* The peer makes us say more than it takes: wait until it has taken some of it. */
static int
make_room(weft_tls *t, int64_t deadline)
{
	int r = weft_sem_acquire(&t->writing, 1, deadline);

	if (r < 0)
		return r;
	r = wf_tls_flush(t, deadline);
	wf_tls_release_writing(t);
	return r;
}

/* The holder of reading. */
static ssize_t
read_until(weft_tls *t, void *buf, size_t n, int64_t deadline)
{
	for (;;) {
		bool said;
		ssize_t r = read_step(t, buf, n, &said);

		if (said)
			wf_tls_push(t);
		if (r == WF_TLS_WANT_INPUT)
			r = wf_tls_fill(t, deadline);
		else if (r == WF_TLS_WANT_ROOM)
			r = make_room(t, deadline);
		else
			return r;
		if (r < 0)
			return r;
	}
}

ssize_t
weft_tls_read(weft_tls *t, void *buf, size_t n, int64_t deadline)
{
	ssize_t r = establish(t, deadline);

	if (r < 0 || n == 0)
		return r;
	r = weft_sem_acquire(&t->reading, 1, deadline);
	if (r < 0)
		return r;
	r = read_until(t, buf, n, deadline);
	weft_sem_release(&t->reading, 1);
	return r;
}

/* ---- write ---- */

/*
 * Encrypts some of buf into out, whole records; there is room for each before it is begun, so
 * that OpenSSL never holds half of one. Returns how much, 0 for want of room, or the error.
 */
static ssize_t
write_step(weft_tls *t, const char *buf, size_t n)
{
	size_t done = 0;
	ssize_t r;

	weft_mutex_lock(&t->lock);
	r = t->broken != 0 ? t->broken : t->is_write_closed ? -EPIPE : 0;
	while (r == 0 && done < n && done < WF_TLS_BATCH &&
	    t->out.end + WF_TLS_IN_CAP <= WF_TLS_OUT_MAX) {
		size_t piece = n - done < WF_TLS_RECORD_MAX ? n - done : WF_TLS_RECORD_MAX;
		size_t went = 0;

		ERR_clear_error();
		if (SSL_write_ex(t->ssl, buf + done, piece, &went) != 1)
			r = wf_tls_outcome(t, 0);
		done += went;
	}
	/* There is room, and without renegotiation nothing to read for: so it cannot wait. */
	if (r == WF_TLS_WANT_INPUT || r == WF_TLS_WANT_ROOM) {
		wf_tls_say(t->why, sizeof(t->why), "cannot encrypt", 0);
		r = t->broken = -EPROTO;
	}
	weft_mutex_unlock(&t->lock);
	return r < 0 && done == 0 ? r : (ssize_t)done;
}

/* The holder of writing. */
static ssize_t
write_all(weft_tls *t, const char *buf, size_t n, int64_t deadline)
{
	size_t done = 0, sent = 0;
	ssize_t r;

	for (;;) {
		r = wf_tls_flush(t, deadline);
		if (r < 0)
			break;
		sent = done;
		if (done == n)
			return (ssize_t)n;
		r = write_step(t, buf + done, n - done);
		if (r < 0)
			break;
		done += (size_t)r;
	}
	/* What waits for the socket goes by itself; what the socket refused is lost. */
	if (r == t->output_error)
		done = sent;
	return done > 0 ? (ssize_t)done : r;
}

ssize_t
weft_tls_write(weft_tls *t, const void *buf, size_t n, int64_t deadline)
{
	ssize_t r = establish(t, deadline);

	if (r < 0 || n == 0)
		return r;
	r = weft_sem_acquire(&t->writing, 1, deadline);
	if (r < 0)
		return r;
	r = write_all(t, buf, n, deadline);
	wf_tls_release_writing(t);
	return r;
}

/* ---- end ---- */

static int
say_the_end(weft_tls *t)
{
	int r;

	weft_mutex_lock(&t->lock);
	r = t->broken;
	if (r == 0 && t->is_open && !t->is_write_closed) {
		ERR_clear_error();
		/* 0: sent; the peer's own comes when the peer has said all. */
		SSL_shutdown(t->ssl);
		ERR_clear_error();
		t->is_write_closed = true;
	}
	weft_mutex_unlock(&t->lock);
	return r;
}

int
weft_tls_close_write(weft_tls *t, int64_t deadline)
{
	int r = establish(t, deadline);

	if (r < 0)
		return r;
	r = weft_sem_acquire(&t->writing, 1, deadline);
	if (r < 0)
		return r;
	r = wf_tls_flush(t, deadline);
	if (r == 0)
		r = say_the_end(t);
	if (r == 0)
		r = wf_tls_flush(t, deadline);
	wf_tls_release_writing(t);
	return r;
}
