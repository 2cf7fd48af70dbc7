/*
 * Answers. A header and a small body are put together in the connection's output
 * buffer, where the answers to pipelined requests gather too; conn_flush() sends
 * them in one go. A larger body is sent by the kernel straight from the file.
 */
#include "httpd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVER_NAME "weft-httpd"

const char too_busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
			"Server: " SERVER_NAME "\r\n"
			"Content-Type: text/plain; charset=utf-8\r\n"
			"Content-Length: 52\r\n"
			"Retry-After: 1\r\n"
			"Connection: close\r\n"
			"\r\n"
			"There are too many connections. Try again, please.\r\n";
const size_t too_busy_len = sizeof(too_busy) - 1;

const char *
status_phrase(int status)
{
	return http_status_str((enum http_status)status);
}

/* ---- putting text into out[] ---- */

/* Makes room for an answer's header of @n bytes: sends what is there if need be. */
static bool
make_room(struct conn *c, size_t n)
{
	return OUT_CAP - c->work->out_len >= n || conn_flush(c, false) == 0;
}

static void
put(struct work *w, const char *p, size_t n)
{
	assert(n <= OUT_CAP - w->out_len);
	memcpy(w->out + w->out_len, p, n);
	w->out_len += n;
}

#define PUT(w, literal) put((w), (literal), sizeof(literal) - 1)

static void
put_str(struct work *w, const char *s)
{
	put(w, s, strlen(s));
}

static void
put_int(struct work *w, int64_t v)
{
	char buf[20];
	size_t i = sizeof(buf);

	do
		buf[--i] = (char)('0' + v % 10);
	while (v /= 10);
	put(w, buf + i, sizeof(buf) - i);
}

/* A path in a header: what is not plainly harmless there is encoded, line ends above all. */
static void
put_path(struct work *w, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char buf[3];

		put(w, buf, percent_encode(buf, p[i], "/-._~!$&'()*+,;=:@"));
	}
}

/* "Date: ...": written once a second, not once an answer. */
static void
put_date(struct conn *c)
{
	int64_t now = time(NULL);

	if (now != c->date_at || now == 0) {
		http_date_format(c->date, now);
		c->date_at = now;
	}
	PUT(c->work, "Date: ");
	put(c->work, c->date, HTTP_DATE_LEN);
	PUT(c->work, "\r\n");
}

static void
put_status(struct conn *c, int status)
{
	struct work *w = c->work;

	if (status == 200) {
		PUT(w, "HTTP/1.1 200 OK\r\n");
	} else {
		PUT(w, "HTTP/1.1 ");
		put_int(w, status);
		PUT(w, " ");
		put_str(w, status_phrase(status));
		PUT(w, "\r\n");
	}
	PUT(w, "Server: " SERVER_NAME "\r\n");
	put_date(c);
}

static void
put_end(struct conn *c, bool keep)
{
	struct work *w = c->work;

	if (!keep)
		PUT(w, "Connection: close\r\n");
	else if (w->req.parser.http_minor == 0)
		PUT(w, "Connection: keep-alive\r\n");
	PUT(w, "\r\n");
}

static void
put_length(struct work *w, int64_t n)
{
	PUT(w, "Content-Length: ");
	put_int(w, n);
	PUT(w, "\r\n");
}

/* ---- keeping the connection ---- */

/*
 * May another request follow? When the server stops, a client that has sent more
 * requests already is answered them first.
 */
static bool
keeps_alive(struct conn *c)
{
	struct server *s = c->server;

	if (!c->work->req.keep_alive)
		return false;
	if (c->nrequests >= s->opt.max_requests ||
	    (atomic_load(&s->stopping) && c->work->in_start == c->work->in_end)) {
		c->lingers = true;
		return false;
	}
	return true;
}

static void
count(struct conn *c, int status, int64_t body_bytes)
{
	struct server *s = c->server;

	atomic_fetch_add_explicit(&s->nrequests, 1, memory_order_relaxed);
	if (body_bytes > 0)
		atomic_fetch_add_explicit(&s->nbytes, (uint64_t)body_bytes, memory_order_relaxed);
	if (s->log_fd >= 0)
		access_log(c, &c->work->req, status, body_bytes);
}

/* ---- the kinds of answers ---- */

bool
respond_error(struct conn *c, int status, bool keep)
{
	static const char head[] = "<!doctype html><html lang=en><meta charset=utf-8>"
				   "<meta name=viewport content=\"width=device-width\"><title>";
	static const char mid[] = "</title><style>:root{color-scheme:light dark}body{margin:2rem;"
				  "font:16px/1.5 system-ui,sans-serif}</style><h1>";
	static const char tail[] = "</h1></html>\n";
	struct work *w = c->work;
	const char *phrase = status_phrase(status);
	size_t n = sizeof(head) + sizeof(mid) + sizeof(tail) - 3 + 2 * (4 + strlen(phrase));
	bool has_body = !w->req.is_head;

	if (!make_room(c, OUT_ROOM))
		return false;
	put_status(c, status);
	PUT(w, "Content-Type: text/html; charset=utf-8\r\n");
	put_length(w, (int64_t)n);
	if (status == 405)
		PUT(w, "Allow: GET, HEAD\r\n");
	if (status == 503)
		PUT(w, "Retry-After: 1\r\n");
	put_end(c, keep);
	if (has_body) {
		PUT(w, head);
		put_int(w, status);
		PUT(w, " ");
		put_str(w, phrase);
		PUT(w, mid);
		put_int(w, status);
		PUT(w, " ");
		put_str(w, phrase);
		PUT(w, tail);
	}
	count(c, status, has_body ? (int64_t)n : 0);
	return keep;
}

/* "/dir" -> "/dir/": only so do the links in its index lead to where they should. */
static bool
respond_redirect(struct conn *c, bool keep)
{
	struct work *w = c->work;

	if (!make_room(c, 3 * URI_MAX + OUT_ROOM))
		return false;
	put_status(c, 301);
	PUT(w, "Location: ");
	put_path(w, w->res.path, w->res.path_len);
	PUT(w, "/");
	if (w->res.query.p) {
		PUT(w, "?");
		put(w, w->res.query.p, w->res.query.n);
	}
	PUT(w, "\r\n");
	put_length(w, 0);
	put_end(c, keep);
	count(c, 301, 0);
	return keep;
}

static bool
respond_listing(struct conn *c, bool keep)
{
	struct work *w = c->work;
	struct text page;
	const char *p;
	size_t left;

	if (listing_make(&w->res, &page) < 0)
		return respond_error(c, 503, keep);
	if (!make_room(c, OUT_ROOM)) {
		free(page.p);
		return false;
	}
	put_status(c, 200);
	PUT(w, "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-cache\r\n");
	put_length(w, (int64_t)page.n);
	put_end(c, keep);
	count(c, 200, w->req.is_head ? 0 : (int64_t)page.n);

	p = page.p;
	left = w->req.is_head ? 0 : page.n;
	while (left > 0) {
		size_t n = OUT_CAP - w->out_len;

		if (n == 0) {
			if (conn_flush(c, true) < 0)
				break;
			continue;
		}
		if (n > left)
			n = left;
		put(w, p, n);
		p += n;
		left -= n;
	}
	free(page.p);
	return left == 0 && keep;
}

/* The body of a file through out[]: for a small one cheaper than a second call to send it. */
static bool
copy_body(struct conn *c, const struct wanted *want)
{
	struct work *w = c->work;
	int64_t done = 0;

	while (done < want->len) {
		ssize_t n = weft_pread(w->res.fd, w->out + w->out_len, (size_t)(want->len - done),
		    want->off + done, WEFT_FOREVER);

		if (n <= 0)
			return false;	/* cut short while we looked at it */
		w->out_len += (size_t)n;
		done += n;
	}
	return true;
}

/*
 * The body of a file without a copy. The deadline is for each piece of it: a file may
 * be large and a line slow, but a client that takes nothing must not hold the
 * connection for ever.
 */
static bool
send_body(struct conn *c, const struct wanted *want)
{
	off_t off = want->off;
	int64_t left = want->len;

	if (conn_flush(c, true) < 0)
		return false;
	while (left > 0) {
		int64_t deadline = weft_in(c->server->opt.write_ns);
		int64_t piece = left < SEND_CHUNK ? left : SEND_CHUNK;

		while (piece > 0) {
			ssize_t n = wire_send_file(c, c->work->res.fd, &off, (size_t)piece,
			    deadline);

			/* 0: the file has become shorter than the length we promised. */
			if (n <= 0)
				return false;
			piece -= n;
			left -= n;
		}
	}
	return true;
}

static void
put_file_header(struct conn *c, const struct wanted *want, bool keep)
{
	struct work *w = c->work;
	const struct stat *st = &w->res.st;
	char tag[ETAG_MAX], date[HTTP_DATE_LEN];

	put_status(c, want->status);
	if (want->status != 304) {
		PUT(w, "Content-Type: ");
		put_str(w, w->res.type);
		PUT(w, "\r\nX-Content-Type-Options: nosniff\r\n");
		put_length(w, want->len);
		PUT(w, "Accept-Ranges: bytes\r\n");
	}
	if (want->status == 206) {
		PUT(w, "Content-Range: bytes ");
		put_int(w, want->off);
		PUT(w, "-");
		put_int(w, want->off + want->len - 1);
		PUT(w, "/");
		put_int(w, st->st_size);
		PUT(w, "\r\n");
	}
	/* A file of tomorrow was not modified later than now (RFC 9110 8.8.2.1). */
	PUT(w, "Last-Modified: ");
	http_date_format(date, st->st_mtim.tv_sec < c->date_at ? st->st_mtim.tv_sec : c->date_at);
	put(w, date, sizeof(date));
	PUT(w, "\r\nETag: ");
	put(w, tag, etag_format(tag, st));
	PUT(w, "\r\n");
	put_end(c, keep);
}

/* "Content-Range: bytes * / SIZE" tells the client what it could have asked for. */
static bool
respond_bad_range(struct conn *c, bool keep)
{
	struct work *w = c->work;

	if (!make_room(c, OUT_ROOM))
		return false;
	put_status(c, 416);
	PUT(w, "Content-Range: bytes */");
	put_int(w, w->res.st.st_size);
	PUT(w, "\r\n");
	put_length(w, 0);
	put_end(c, keep);
	count(c, 416, 0);
	return keep;
}

static bool
respond_file(struct conn *c, bool keep)
{
	struct work *w = c->work;
	struct wanted want = precond_select(&w->req, &w->res.st);
	bool sent = true;
	size_t start;

	if (want.status == 412)
		return respond_error(c, 412, keep);
	if (want.status == 416)
		return respond_bad_range(c, keep);
	if (!make_room(c, OUT_ROOM))
		return false;
	start = w->out_len;
	put_file_header(c, &want, keep);
	if (w->req.is_head || want.status == 304)
		want.len = 0;
	if (want.len > 0 && want.len <= (int64_t)(OUT_CAP - w->out_len)) {
		sent = copy_body(c, &want);
		if (!sent)
			w->out_len = start;	/* nothing of it has gone yet: say nothing */
	} else if (want.len > 0) {
		sent = send_body(c, &want);
	}
	count(c, want.status, want.len);
	return sent && keep;
}

bool
respond(struct conn *c)
{
	struct work *w = c->work;
	bool keep, r;
	int status;

	c->nrequests++;
	keep = keeps_alive(c);
	status = w->req.status;
	if (!status)
		status = resource_open(c->server->root_fd, w->req.uri, &w->res);
	if (status)
		return respond_error(c, status, keep);
	switch (w->res.kind) {
	case RES_REDIRECT:
		return respond_redirect(c, keep);
	case RES_DIR:
		r = respond_listing(c, keep);
		break;
	default:
		r = respond_file(c, keep);
		break;
	}
	resource_close(&w->res);
	return r;
}
