/*
 * The life of one connection: wait for a request, read it, answer it, again. Read
 * conn_run() first; it is the whole server seen from a client.
 *
 * Every wait has a deadline, so no client, slow or gone, is waited for for ever:
 *
 *	for the next request		idle_ns, then the connection is closed
 *	for the rest of a request	request_ns from its first byte, then 408
 *	for room to send		write_ns for each SEND_CHUNK bytes
 *	for the client to hang up	LINGER_NS
 */
#include "httpd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An idle connection keeps its 45 KiB this long: who asks at once again finds them there. */
#define WORK_HOLD_NS (100 * MILLISECOND)

/* How long, and how much, we read on from a client that has been told to go. */
#define LINGER_NS (1 * SECOND)
#define LINGER_BYTES (8 << 20)

static bool
has_unread(const struct conn *c)
{
	return c->work && c->work->in_start < c->work->in_end;
}

/* Gives the connection its buffers. False: out of memory. */
static bool
take_work(struct conn *c)
{
	if (c->work)
		return true;
	c->work = malloc(sizeof(*c->work));
	if (!c->work)
		return false;
	c->work->in_start = c->work->in_end = c->work->out_len = 0;
	return true;
}

static void
drop_work(struct conn *c)
{
	free(c->work);
	c->work = NULL;
}

int
conn_flush(struct conn *c, bool more)
{
	struct work *w = c->work;
	int64_t deadline;
	size_t done = 0;

	if (w->out_len == 0)
		return 0;
	deadline = weft_in(c->server->opt.write_ns);
	while (done < w->out_len) {
		ssize_t n = wire_send(c, w->out + done, w->out_len - done, more, deadline);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	w->out_len = 0;
	return 0;
}

/* Reads into the empty buffer. As weft_read(). */
static ssize_t
read_first(struct conn *c, int64_t deadline)
{
	ssize_t n;

	if (!take_work(c))
		return -ENOMEM;
	n = wire_read(c, c->work->in, HEAD_MAX, deadline);
	if (n > 0) {
		c->work->in_start = 0;
		c->work->in_end = (size_t)n;
	}
	return n;
}

/*
 * Waits for the first byte of a request. False: the connection is over.
 *
 * While it waits it may be closed by others: server_close_idle() looks at idle_since
 * and shuts the socket for reading. What has arrived by then is still read, so a
 * request that was faster than the shutdown is answered. That is also why idle_since
 * may be seen late, and orders nothing.
 */
static bool
conn_await(struct conn *c)
{
	int64_t now, deadline, hold;
	ssize_t n;

	if (has_unread(c))
		return true;
	if (c->work && conn_flush(c, /* more */ false) < 0)
		return false;
	now = weft_now();
	atomic_store_explicit(&c->idle_since, now, memory_order_relaxed);
	deadline = now + c->server->opt.idle_ns;
	hold = now + WORK_HOLD_NS < deadline ? now + WORK_HOLD_NS : deadline;

	n = read_first(c, hold);
	if (n == -ETIMEDOUT && hold < deadline) {
		/* It will be a longer wait. Ten thousand of these should cost little. */
		drop_work(c);
		if (wire_await(c, deadline))
			n = read_first(c, deadline);
	}
	atomic_store_explicit(&c->idle_since, 0, memory_order_relaxed);
	return n > 0;
}

/* Moves what is unread to the front, once there might be too little room behind it. */
static void
make_room(struct work *w)
{
	size_t n = w->in_end - w->in_start;

	if (w->in_start <= IN_CAP - HEAD_MAX - BODY_ROOM)
		return;
	memmove(w->in, w->in + w->in_start, n);
	w->in_start = 0;
	w->in_end = n;
}

/* Reads more of a request, up to in[@limit]. 0, or as read_request(). */
static int
read_more(struct conn *c, size_t limit, int64_t deadline)
{
	struct work *w = c->work;
	ssize_t n;

	/* Whoever waits for an answer before he goes on shall have it. */
	if (conn_flush(c, /* more */ false) < 0)
		return -EPIPE;
	n = wire_read(c, w->in + w->in_end, limit - w->in_end, deadline);
	if (n == -ETIMEDOUT)
		return 408;
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;	/* the end, in the middle of a request */
	w->in_end += (size_t)n;
	return 0;
}

/*
 * Reads one request. 0; an HTTP status that refuses it; or a negative errno when
 * there is nobody to answer. The head is left where it is until the answer is made,
 * because the spans of the request point there; a body is dropped, each piece of it
 * read over the one before.
 */
static int
read_request(struct conn *c)
{
	struct work *w = c->work;
	struct request *r = &w->req;
	size_t at, body_at = 0;
	int64_t deadline = 0;

	request_init(r);
	make_room(w);
	at = w->in_start;
	for (;;) {
		size_t used, limit = w->in_start + HEAD_MAX;
		int status = request_parse(r, w->in + at, w->in_end - at, &used);

		if (status)
			return status;
		at += used;
		if (r->is_complete) {
			w->in_start = at;
			return 0;
		}
		if (r->has_head) {
			/*
			 * What is there of the body is dealt with. Where requests before this one
			 * filled the buffer, the end of it is free again: make_room() saw to it
			 * that the head lies before that.
			 */
			if (!body_at)
				body_at = w->in_end;
			if (body_at > IN_CAP - BODY_ROOM)
				body_at = IN_CAP - BODY_ROOM;
			w->in_end = at = body_at;
			limit = IN_CAP;
		} else if (w->in_end >= limit) {
			return 431;
		}
		/* Most requests come in one piece; only for the others is the clock read. */
		if (!deadline)
			deadline = weft_in(c->server->opt.request_ns);
		status = read_more(c, limit, deadline);
		if (status)
			return status;
	}
}

/* Reads a request and answers it. False: the connection is over. */
static bool
serve(struct conn *c)
{
	int status = read_request(c);

	if (status == 0)
		return respond(c);
	if (status > 0) {
		/* Where the next request would begin is not known: this is the last. */
		c->lingers = true;
		respond_error(c, status, /* keep */ false);
	}
	return false;
}

/*
 * Closing a socket that has unread bytes resets the connection, and the reset may
 * overtake our answer and destroy it at the client. So a client that may still be
 * sending is told that we are done, and then listened to for a while.
 */
static void
linger(struct conn *c)
{
	int64_t deadline = weft_in(LINGER_NS);
	size_t dropped = 0;
	ssize_t n;

	if (wire_end(c) < 0)
		return;
	do {
		n = wire_read(c, c->work->in, IN_CAP, deadline);
		dropped += n > 0 ? (size_t)n : 0;
	} while (n > 0 && dropped < LINGER_BYTES);
}

void
conn_run(void *arg)
{
	struct conn *c = arg;

	if (wire_open(c))
		while (conn_await(c) && serve(c))
			continue;
	if (c->work && conn_flush(c, /* more */ false) == 0 && c->lingers)
		linger(c);
	server_remove(c->server, c);
	wire_close(c);
	free(c->work);
	weft_waitgroup_done(&c->server->conns_open);
	free(c);
}
