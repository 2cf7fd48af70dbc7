/*
 * From bytes to a struct request. libhttp-parser does the work: it calls us back
 * with pieces of the bytes it was given, and we remember where they lie. Nothing
 * is copied. Knows neither files nor sockets.
 */
#include "httpd.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	size_t n;
} field_names[F_COUNT] = {
#define NAME(s) { s, sizeof(s) - 1 }
	[F_HOST] = NAME("host"),
	[F_RANGE] = NAME("range"),
	[F_IF_RANGE] = NAME("if-range"),
	[F_IF_MATCH] = NAME("if-match"),
	[F_IF_NONE_MATCH] = NAME("if-none-match"),
	[F_IF_MODIFIED_SINCE] = NAME("if-modified-since"),
	[F_IF_UNMODIFIED_SINCE] = NAME("if-unmodified-since"),
	[F_EXPECT] = NAME("expect"),
#undef NAME
};

/* Stops the parser; request_parse() then returns @status. */
static int
refuse(struct request *r, int status)
{
	r->status = status;
	return -1;
}

/*
 * The parser hands over one item in several pieces when the bytes came in several
 * reads. They lie next to each other in the buffer, so the span just grows. A gap
 * means a header line continued on the next (obs-fold), which RFC 9112 5.2 lets us
 * refuse.
 */
static int
grow(struct request *r, struct span *s, const char *p, size_t n)
{
	if (!s->p)
		s->p = p;
	else if (s->p + s->n != p)
		return refuse(r, 400);
	s->n += n;
	return 0;
}

static enum field
field_of(struct span name)
{
	for (int f = 0; f < F_COUNT; f++) {
		if (name.n == field_names[f].n && !strncasecmp(name.p, field_names[f].name, name.n))
			return (enum field)f;
	}
	return F_OTHER;
}

/* Puts away the header field that has just ended, if any. */
static int
end_field(struct request *r)
{
	struct span v = r->value;
	enum field f = r->name.p ? field_of(r->name) : F_OTHER;

	/* "Host : x" means Host to some and nothing to others (RFC 9112 5.1). */
	if (r->name.p && memchr(r->name.p, ' ', r->name.n))
		return refuse(r, 400);
	r->name = r->value = (struct span){ 0 };
	if (f == F_OTHER)
		return 0;
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	if (r->field[f].p) {
		/* Two Hosts may mean two opinions on where this goes (RFC 9112 3.2). */
		return f == F_HOST ? refuse(r, 400) : 0;
	}
	r->field[f] = v.p ? v : (struct span){ "", 0 };
	return 0;
}

static int
on_url(http_parser *p, const char *at, size_t n)
{
	struct request *r = p->data;

	if (r->uri.n + n > URI_MAX)
		return refuse(r, 414);
	return grow(r, &r->uri, at, n);
}

static int
on_field(http_parser *p, const char *at, size_t n)
{
	struct request *r = p->data;

	if (r->has_head)
		return 0;	/* a trailer of a chunked body */
	if (r->value.p && end_field(r) < 0)
		return -1;
	return grow(r, &r->name, at, n);
}

static int
on_value(http_parser *p, const char *at, size_t n)
{
	struct request *r = p->data;

	if (r->has_head)
		return 0;
	return grow(r, &r->value, at, n);
}

static int
on_head(http_parser *p)
{
	struct request *r = p->data;
	bool has_body = p->flags & F_CHUNKED || (p->flags & F_CONTENTLENGTH && p->content_length);

	if (end_field(r) < 0)
		return -1;
	r->has_head = true;
	r->method = http_method_str((enum http_method)p->method);
	r->is_head = p->method == HTTP_HEAD;
	r->keep_alive = http_should_keep_alive(p);
	if (p->http_major != 1)
		return refuse(r, 505);
	if (p->http_minor >= 1 && !r->field[F_HOST].p)
		return refuse(r, 400);
	if (p->method != HTTP_GET && p->method != HTTP_HEAD) {
		if (has_body || p->method == HTTP_CONNECT)
			return refuse(r, 405);
		r->status = 405;	/* answered in turn, and the connection lives */
	}
	if (p->flags & F_CONTENTLENGTH && p->content_length > BODY_MAX)
		return refuse(r, 413);
	/* A client that asks before it sends a body that nobody wants is told so. */
	if (has_body && r->field[F_EXPECT].p)
		return refuse(r, 417);
	/* "Upgrade: h2c" is an offer; we decline it by answering as usual. */
	p->upgrade = 0;
	return 0;
}

static int
on_body(http_parser *p, const char *at, size_t n)
{
	struct request *r = p->data;

	(void)at;
	r->body_bytes += n;
	return r->body_bytes > BODY_MAX ? refuse(r, 413) : 0;
}

static int
on_complete(http_parser *p)
{
	struct request *r = p->data;

	r->is_complete = true;
	http_parser_pause(p, 1);	/* what follows is the next request: leave it */
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

void
request_init(struct request *r)
{
	memset(r, 0, sizeof(*r));
	http_parser_init(&r->parser, HTTP_REQUEST);
	r->parser.data = r;
}

/* A method unknown to us (501), or no HTTP at all (400)? A method is a word and a space. */
static int
status_of_bad_method(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && (p[i] == '\r' || p[i] == '\n'))
		i++;
	for (size_t start = i; i < n; i++) {
		if (p[i] == ' ')
			return i > start ? 501 : 400;
		if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_", p[i], 54))
			return 400;
	}
	return 501;
}

int
request_parse(struct request *r, const char *p, size_t n, size_t *ret_used)
{
	*ret_used = http_parser_execute(&r->parser, &settings, p, n);

	switch (HTTP_PARSER_ERRNO(&r->parser)) {
	case HPE_OK:
	case HPE_PAUSED:	/* by on_complete() */
		return 0;
	case HPE_INVALID_METHOD:
		return status_of_bad_method(p, n);
	case HPE_HEADER_OVERFLOW:
		return 431;
	default:
		return r->status ? r->status : 400;
	}
}
