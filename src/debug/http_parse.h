/*
 * Requests of HTTP/1.1 as the debug endpoint takes them: GET, no body, nothing unusual. Whatever
 * is not exactly that is refused, because what listens beside a program must not be a way into it.
 * Pure text; asks nobody.
 */
#ifndef WEFT_DEBUG_HTTP_PARSE_H
#define WEFT_DEBUG_HTTP_PARSE_H

#include "base/compiler.h"

#define WF_HTTP_HEAD_MAX 8192u	/* request line and headers */

struct wf_http_text {
	const char *s;		/* in the buffer that was parsed; NULL: there is none */
	size_t n;
};

struct wf_http_request {
	struct wf_http_text path;	/* from "/" on, without the query */
	struct wf_http_text query;	/* behind "?" */
	struct wf_http_text host;	/* the header's value */
	struct wf_http_text bearer;	/* Authorization: Bearer ... */
};

/*
 * What buf[0..n) begins with: how long the request is; 0: more is needed; or minus the status to
 * refuse it with: 400, 405 (no GET), 413 (has a body), 431 (too long), 505.
 */
int wf_http_parse(const char *buf, size_t n, struct wf_http_request *ret);

/* Is it a name of this very machine, with or without a port? Else a page in a browser has led it
 * here under a foreign name. */
bool wf_http_host_is_local(struct wf_http_text host);

/* The value of name in a query "a=1&b=2"; s NULL: it has none. Nothing is decoded. */
struct wf_http_text wf_http_query(const struct wf_http_request *r, const char *name);

/* The same as a decimal number from lo to hi, or otherwise. */
int64_t wf_http_query_number(
    const struct wf_http_request *r, const char *name, int64_t lo, int64_t hi, int64_t otherwise);

bool wf_http_is(struct wf_http_text t, const char *s);

#endif /* WEFT_DEBUG_HTTP_PARSE_H */
