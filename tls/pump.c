/*
 * All between OpenSSL and the socket: what it wants to read is waited for, what it has written is
 * sent. The protocol of the permits and of the lock is in README.md; P1-P5 are steps of it.
 */
#include "tls.h"

#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>

/* An idle connection keeps its buffer for so long: who sends more at once finds it there. */
#define HOLD_NS (100 * INT64_C(1000000))

/* Waits that ended without a verdict on the socket: what was not sent can be sent later. */
static bool
gave_up(int err)
{
	return err == -ETIMEDOUT || err == -ECANCELED;
}

int
wf_tls_outcome(weft_tls *t, int ret)
{
	int e = SSL_get_error(t->ssl, ret);

	switch (e) {
	case SSL_ERROR_WANT_READ:
		ERR_clear_error();
		return WF_TLS_WANT_INPUT;
	case SSL_ERROR_WANT_WRITE:
		ERR_clear_error();
		return WF_TLS_WANT_ROOM;
	case SSL_ERROR_ZERO_RETURN:
		ERR_clear_error();
		return 0;
	default:
		t->broken = wf_tls_take_error(t->ssl, t->why, sizeof(t->why));
		return t->broken;
	}
}

/* ---- input ---- */

static int
end_input(weft_tls *t, int err, const char *what)
{
	t->input_error = err;
	weft_mutex_lock(&t->lock);
	wf_tls_say(t->why, sizeof(t->why), what, 0);
	weft_mutex_unlock(&t->lock);
	return err;
}

/* Past in.end nobody else looks: the socket is read there without the lock. */
static int
read_some(weft_tls *t, int64_t deadline)
{
	ssize_t n;

	if (t->in.p == NULL) {
		t->in.p = malloc(WF_TLS_IN_CAP);
		if (t->in.p == NULL)
			return -ENOMEM;
		t->in.cap = WF_TLS_IN_CAP;
	}
	n = weft_read(t->fd, t->in.p, t->in.cap, deadline);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return end_input(t, -ECONNABORTED, "the stream ended without a close_notify");
	weft_mutex_lock(&t->lock);
	t->in.start = 0;
	t->in.end = (size_t)n;
	weft_mutex_unlock(&t->lock);
	return 0;
}

int
wf_tls_fill(weft_tls *t, int64_t deadline)
{
	int64_t hold = weft_in(HOLD_NS);
	int r;

	if (t->input_error != 0)
		return t->input_error;
	if (hold >= deadline)
		return read_some(t, deadline);
	r = read_some(t, hold);
	if (r != -ETIMEDOUT)
		return r;
	/* It will be a longer wait. Ten thousand of these should cost little. */
	weft_mutex_lock(&t->lock);
	wf_tls_bytes_drop(&t->in);
	weft_mutex_unlock(&t->lock);
	r = weft_poll(t->fd, POLLIN, deadline);
	return r < 0 ? r : read_some(t, deadline);
}

/* ---- output ---- */

/* Takes what is to be sent next into sending. False: nothing is. */
static bool
take_out(weft_tls *t)
{
	struct wf_tls_bytes empty;

	if (t->sending.start < t->sending.end)
		return true;
	t->sending.start = t->sending.end = 0;
	weft_mutex_lock(&t->lock);
	empty = t->sending;
	t->sending = t->out;
	t->out = empty;
	weft_mutex_unlock(&t->lock);
	return t->sending.start < t->sending.end;
}

/* Nothing can be sent any more: neither what is there nor what will come. */
static int
end_output(weft_tls *t, int err)
{
	if (t->output_error == 0) {
		t->output_error = err;
		weft_mutex_lock(&t->lock);
		wf_tls_say(t->why, sizeof(t->why), "cannot send", err);
		weft_mutex_unlock(&t->lock);
	}
	do
		t->sending.start = t->sending.end;
	while (take_out(t));
	return t->output_error;
}

int
wf_tls_flush(weft_tls *t, int64_t deadline)
{
	while (t->output_error == 0 && take_out(t)) {
		ssize_t n = weft_write(t->fd, t->sending.p + t->sending.start,
		    t->sending.end - t->sending.start, deadline);

		if (n < 0 && gave_up((int)n))
			return (int)n;
		if (n < 0)
			return end_output(t, (int)n);
		t->sending.start += (size_t)n;
	}
	if (t->output_error != 0)
		return end_output(t, t->output_error);
	wf_tls_bytes_drop(&t->sending);
	return 0;
}

/* P5: is there something that the one who held writing before us may have overlooked? */
static bool
has_out(weft_tls *t)
{
	bool has;

	weft_mutex_lock(&t->lock);
	has = t->out.start < t->out.end;
	weft_mutex_unlock(&t->lock);
	return has;
}

/*
 * A goroutine's function: sends what its predecessor had no time for, holding writing, and gives
 * it up. Not of the predecessor's scope: what was accepted goes, whoever is cancelled.
 */
static void
finish(void *arg)
{
	weft_tls *t = arg;

	do {
		wf_tls_flush(t, WEFT_FOREVER);
		weft_sem_release(&t->writing, 1);
	} while (has_out(t) && weft_sem_tryacquire(&t->writing, 1));
	weft_waitgroup_done(&t->finishers);
}

void
wf_tls_release_writing(weft_tls *t)
{
	weft_go_options o = {.size = sizeof(o), .name = "weft-tls: send"};

	do {
		if (gave_up(wf_tls_flush(t, WEFT_NOW))) {
			weft_waitgroup_add(&t->finishers, 1);
			if (weft_go_with(&o, finish, t) == 0)
				return;
			/* Lost, and so is the connection: a gap must not be sent over. */
			weft_waitgroup_done(&t->finishers);
			end_output(t, -ENOMEM);
		}
		weft_sem_release(&t->writing, 1);
	} while (has_out(t) && weft_sem_tryacquire(&t->writing, 1));
}

void
wf_tls_push(weft_tls *t)
{
	if (weft_sem_tryacquire(&t->writing, 1))
		wf_tls_release_writing(t);
}
