/*
 * A strict reader of requests. See http_parse.h; RFC 9112.
 */
#include "debug/http_parse.h"

#include <string.h>

/* token of RFC 9110: what names of methods and headers are made of. */
static bool
is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
same_name(struct wf_http_text t, const char *name)
{
	size_t n = strlen(name);

	if (t.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(t.s[i]) != name[i])
			return false;
	return true;
}

bool
wf_http_is(struct wf_http_text t, const char *s)
{
	return t.s != NULL && t.n == strlen(s) && memcmp(t.s, s, t.n) == 0;
}

/* The line at *at, without its end; *at goes behind it. False: it is not there whole. */
static bool
next_line(const char *buf, size_t n, size_t *at, struct wf_http_text *ret, bool *ret_bad)
{
	const char *end = memchr(buf + *at, '\n', n - *at);
	size_t len;

	if (end == NULL)
		return false;
	len = (size_t)(end - (buf + *at));
	/* A lone line feed is what smugglers send. */
	*ret_bad = len == 0 || end[-1] != '\r';
	*ret = (struct wf_http_text){buf + *at, *ret_bad ? len : len - 1};
	*at += len + 1;
	return true;
}

/* "GET /path?query HTTP/1.1". 0 or minus a status. */
static int
parse_first(struct wf_http_text line, struct wf_http_request *r)
{
	const char *end = line.s + line.n, *p = line.s, *target, *question;

	while (p < end && is_token(*p))
		p++;
	if (p == line.s || p == end || *p != ' ')
		return -400;
	if (p - line.s != 3 || memcmp(line.s, "GET", 3) != 0)
		return -405;
	target = ++p;
	while (p < end && *p > ' ' && *p < 0x7f)
		p++;
	if (target == p || *target != '/' || p == end || *p != ' ')
		return -400;
	question = memchr(target, '?', (size_t)(p - target));
	r->path = (struct wf_http_text){
	    target, (size_t)((question != NULL ? question : p) - target)};
	if (question != NULL)
		r->query = (struct wf_http_text){question + 1, (size_t)(p - question) - 1};
	p++;
	if (end - p != 8 || memcmp(p, "HTTP/", 5) != 0)
		return -400;
	return memcmp(p + 5, "1.1", 3) == 0 || memcmp(p + 5, "1.0", 3) == 0 ? 0 : -505;
}

/* "Name: value". 0 or minus a status. */
static int
parse_header(struct wf_http_text line, struct wf_http_request *r)
{
	const char *end = line.s + line.n, *p = line.s;
	struct wf_http_text name, value;

	while (p < end && is_token(*p))
		p++;
	if (p == line.s || p == end || *p != ':')
		return -400;	/* also a line that continues another */
	name = (struct wf_http_text){line.s, (size_t)(p - line.s)};
	p++;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	value = (struct wf_http_text){p, (size_t)(end - p)};
	for (; p < end; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return -400;
	if (same_name(name, "host")) {
		if (r->host.s != NULL)
			return -400;
		r->host = value;
	} else if (same_name(name, "transfer-encoding") ||
	    (same_name(name, "content-length") && !wf_http_is(value, "0"))) {
		return -413;
	} else if (same_name(name, "authorization") && value.n > 7 &&
	    memcmp(value.s, "Bearer ", 7) == 0) {
		if (r->bearer.s != NULL)
			return -400;
		r->bearer = (struct wf_http_text){value.s + 7, value.n - 7};
	}
	return 0;
}

int
wf_http_parse(const char *buf, size_t n, struct wf_http_request *ret)
{
	struct wf_http_text line;
	bool bad, is_long = n > WF_HTTP_HEAD_MAX;
	size_t at = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	n = wf_min(n, (size_t)WF_HTTP_HEAD_MAX);
	for (bool first = true; next_line(buf, n, &at, &line, &bad); first = false) {
		if (bad)
			return -400;
		if (line.n == 0 && !first)
			return ret->host.s != NULL ? (int)at : -400;
		r = first ? parse_first(line, ret) : parse_header(line, ret);
		if (r != 0)
			return r;
	}
	return is_long || n == WF_HTTP_HEAD_MAX ? -431 : 0;
}

/* How much of host is an address of 127.0.0.0/8, written as usual; 0: it begins with none. */
static size_t
loopback_length(struct wf_http_text host)
{
	size_t at = 0;

	for (int part = 0; part < 4; part++) {
		size_t first = at;
		unsigned v = 0;

		while (at < host.n && at - first < 3 && host.s[at] >= '0' && host.s[at] <= '9')
			v = v * 10 + (unsigned)(host.s[at++] - '0');
		if (at == first || v > 255 || (host.s[first] == '0' && at - first > 1) ||
		    (part == 0 && v != 127))
			return 0;
		if (part < 3 && (at == host.n || host.s[at++] != '.'))
			return 0;
	}
	return at;
}

/* How much of it names this machine. */
static size_t
local_length(struct wf_http_text host)
{
	static const char *const names[] = {"localhost", "[::1]"};

	for (size_t i = 0; i < wf_countof(names); i++) {
		size_t n = strlen(names[i]);

		if (host.n >= n && same_name((struct wf_http_text){host.s, n}, names[i]))
			return n;
	}
	return loopback_length(host);
}

bool
wf_http_host_is_local(struct wf_http_text host)
{
	size_t n = host.s != NULL ? local_length(host) : 0;

	if (n == 0 || n == host.n)
		return n != 0;
	if (host.s[n] != ':' || host.n > n + 6 || host.n == n + 1)
		return false;
	for (n++; n < host.n && host.s[n] >= '0' && host.s[n] <= '9';)
		n++;
	return n == host.n;
}

struct wf_http_text
wf_http_query(const struct wf_http_request *r, const char *name)
{
	const char *p = r->query.s, *end;
	size_t n = strlen(name);

	if (p == NULL)
		return (struct wf_http_text){NULL, 0};
	end = p + r->query.n;
	while (p < end) {
		const char *stop = memchr(p, '&', (size_t)(end - p));

		if (stop == NULL)
			stop = end;
		if ((size_t)(stop - p) > n && memcmp(p, name, n) == 0 && p[n] == '=')
			return (struct wf_http_text){p + n + 1, (size_t)(stop - p) - n - 1};
		p = stop + 1;
	}
	return (struct wf_http_text){NULL, 0};
}

int64_t
wf_http_query_number(
    const struct wf_http_request *r, const char *name, int64_t lo, int64_t hi, int64_t otherwise)
{
	struct wf_http_text t = wf_http_query(r, name);
	int64_t v = 0;

	if (t.s == NULL || t.n == 0 || t.n > 9)
		return otherwise;
	for (size_t i = 0; i < t.n; i++) {
		if (t.s[i] < '0' || t.s[i] > '9')
			return otherwise;
		v = v * 10 + (t.s[i] - '0');
	}
	return v < lo || v > hi ? otherwise : v;
}
