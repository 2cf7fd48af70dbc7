/*
 * What of a file a request wants: all of it, a part, or nothing because the client
 * has it already. RFC 9110, sections 13 (conditions) and 14 (ranges). Pure: looks
 * at nothing but its arguments.
 */
#include "httpd.h"

#include <string.h>

static size_t
put_hex(char *to, uint64_t v)
{
	char digits[16];
	size_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	for (size_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

size_t
etag_format(char to[ETAG_MAX], const struct stat *st)
{
	const struct timespec *t = &st->st_mtim;
	size_t n = 0;

	to[n++] = '"';
	n += put_hex(to + n, (uint64_t)t->tv_sec * SECOND + (uint64_t)t->tv_nsec);
	to[n++] = '-';
	n += put_hex(to + n, (uint64_t)st->st_size);
	to[n++] = '"';
	return n;
}

/* Is our tag in the list, or is the list "*"? @weak: W/"x" is as good as "x". */
static bool
etag_listed(struct span list, const struct stat *st, bool weak)
{
	char tag[ETAG_MAX];
	size_t n = etag_format(tag, st);
	const char *p = list.p, *end = list.p + list.n;

	if (list.n == 1 && *p == '*')
		return true;
	while (p < end) {
		bool is_weak = false;
		const char *close;

		while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
			p++;
		if (end - p > 2 && p[0] == 'W' && p[1] == '/') {
			is_weak = true;
			p += 2;
		}
		if (p >= end || *p != '"')
			return false;	/* not a list of tags */
		close = memchr(p + 1, '"', (size_t)(end - p - 1));
		if (!close)
			return false;
		if ((weak || !is_weak) && (size_t)(close + 1 - p) == n && !memcmp(p, tag, n))
			return true;
		p = close + 1;
	}
	return false;
}

/* 0 to go on, 304 or 412. The order is that of RFC 9110 13.2.2. */
static int
conditions(const struct request *r, const struct stat *st)
{
	const struct span *f = r->field;
	int64_t t;

	if (f[F_IF_MATCH].p) {
		if (!etag_listed(f[F_IF_MATCH], st, /* weak */ false))
			return 412;
	} else if (f[F_IF_UNMODIFIED_SINCE].p && http_date_parse(f[F_IF_UNMODIFIED_SINCE], &t)) {
		if (st->st_mtim.tv_sec > t)
			return 412;
	}
	if (f[F_IF_NONE_MATCH].p) {
		if (etag_listed(f[F_IF_NONE_MATCH], st, /* weak */ true))
			return 304;
	} else if (f[F_IF_MODIFIED_SINCE].p && http_date_parse(f[F_IF_MODIFIED_SINCE], &t)) {
		if (st->st_mtim.tv_sec <= t)
			return 304;
	}
	return 0;
}

/* May the range be served, or has the file changed since the client got its first part? */
static bool
range_is_current(const struct request *r, const struct stat *st)
{
	struct span v = r->field[F_IF_RANGE];
	int64_t t;

	if (!v.p)
		return true;
	if (v.n > 0 && v.p[0] == '"')
		return etag_listed(v, st, /* weak */ false);
	return http_date_parse(v, &t) && t == st->st_mtim.tv_sec;
}

/* Decimal digits at *p; false if there are none. Saturates: a range may end anywhere. */
static bool
digits(const char **p, const char *end, int64_t *ret)
{
	const char *start = *p;
	int64_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		if (v > (INT64_MAX - 9) / 10)
			v = INT64_MAX / 10 - 1;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return *p > start;
}

/*
 * Parses "bytes=first-last", "bytes=first-" and "bytes=-count". Returns 206, 416, or
 * 200 for what is no such range; several ranges at once are answered with the whole
 * file, as RFC 9110 14.2 allows.
 */
static int
range(struct span v, int64_t size, struct wanted *w)
{
	const char *p = v.p, *end = v.p + v.n;
	int64_t first, last;
	bool has_first, has_last;

	if (v.n < 6 || memcmp(p, "bytes=", 6))
		return 200;
	p += 6;
	has_first = digits(&p, end, &first);
	if (p >= end || *p++ != '-')
		return 200;
	has_last = digits(&p, end, &last);
	if (p != end || (!has_first && !has_last) || (has_first && has_last && last < first))
		return 200;
	if (!has_first) {
		if (last == 0)
			return 416;
		first = last < size ? size - last : 0;
		last = size - 1;
	} else if (!has_last || last >= size) {
		last = size - 1;
	}
	if (first >= size)
		return 416;
	w->off = first;
	w->len = last - first + 1;
	return 206;
}

struct wanted
precond_select(const struct request *r, const struct stat *st)
{
	struct wanted w = { .status = conditions(r, st) };
	int64_t size = st->st_size;

	if (w.status)
		return w;
	w.status = 200;
	w.len = size;
	/* A range is for GET only (14.2). Nothing has no parts: an empty file is sent "whole". */
	if (r->field[F_RANGE].p && !r->is_head && size > 0 && range_is_current(r, st))
		w.status = range(r->field[F_RANGE], size, &w);
	return w;
}
