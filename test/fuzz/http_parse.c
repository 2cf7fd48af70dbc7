/*
 * For libFuzzer: the debug endpoint's reader of requests.
 *
 * fuzz: src/debug/http_parse.c
 */
#include "debug/http_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_inside(struct wf_http_text t, const char *buf, size_t n)
{
	if (t.s != NULL && (t.s < buf || t.s + t.n > buf + n))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *buf = malloc(n + 1);	/* one byte behind it is the sanitizer's */
	struct wf_http_request r, again;
	int len;

	memcpy(buf, data, n);
	len = wf_http_parse(buf, n, &r);
	if (len > 0) {
		if ((size_t)len > n || len > (int)WF_HTTP_HEAD_MAX || r.path.s[0] != '/' ||
		    r.host.s == NULL)
			abort();
		check_inside(r.path, buf, n);
		check_inside(r.query, buf, n);
		check_inside(r.host, buf, n);
		check_inside(r.bearer, buf, n);
		check_inside(wf_http_query(&r, "token"), buf, n);
		(void)wf_http_query_number(&r, "interval", 0, 1000, 5);
		(void)wf_http_host_is_local(r.host);
		/* The head says it all: what follows changes nothing. */
		if (wf_http_parse(buf, (size_t)len, &again) != len ||
		    wf_http_parse(buf, (size_t)len - 1, &again) > 0)
			abort();
	} else if (len == 0 && n >= WF_HTTP_HEAD_MAX) {
		abort();
	}
	free(buf);
	return 0;
}
