/*
 * The debug endpoint's reader of requests. It stands between whoever can reach a socket and the
 * inside of a program: what it lets pass by mistake is read by strangers, or crashes a server.
 */
#include "debug/http_parse.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

static int
parse(const char *text, struct wf_http_request *r)
{
	return wf_http_parse(text, strlen(text), r);
}

TEST(a_plain_request_is_read)
{
	static const char text[] =
	    "GET /debug/weft?x=1&token=abc HTTP/1.1\r\nhOsT:  localhost:80 \r\n"
	    "Authorization: Bearer t0k\r\nAccept: */*\r\n\r\nrest";
	struct wf_http_request r;

	EXPECT_EQ(parse(text, &r), sizeof(text) - 1 - 4);
	EXPECT(wf_http_is(r.path, "/debug/weft"));
	EXPECT(wf_http_is(r.query, "x=1&token=abc"));
	EXPECT(wf_http_is(r.host, "localhost:80"));
	EXPECT(wf_http_is(r.bearer, "t0k"));
	EXPECT(wf_http_is(wf_http_query(&r, "token"), "abc"));
	EXPECT(wf_http_query(&r, "toke").s == NULL);
	EXPECT(wf_http_query(&r, "oken").s == NULL);
	EXPECT_EQ(wf_http_query_number(&r, "x", 0, 5, 7), 1);
	EXPECT_EQ(wf_http_query_number(&r, "x", 2, 5, 7), 7);
	EXPECT_EQ(wf_http_query_number(&r, "token", 0, 5, 7), 7);
	EXPECT_EQ(wf_http_query_number(&r, "y", 0, 5, 7), 7);
}

/* However it is cut into packets. */
TEST(each_beginning_of_a_request_wants_more)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct wf_http_request r;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, text, n);
		EXPECT_EQ(wf_http_parse(copy, n, &r), 0);
		free(copy);
	}
}

TEST(what_is_unusual_is_refused)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
	    {"POST / HTTP/1.1\r\n", -405},
	    {"get / HTTP/1.1\r\n", -405},
	    {"HEAD / HTTP/1.1\r\n", -405},
	    {"GET  / HTTP/1.1\r\n", -400},
	    {"GET http://x/ HTTP/1.1\r\n", -400},
	    {"GET * HTTP/1.1\r\n", -400},
	    {"GET /\x01 HTTP/1.1\r\n", -400},
	    {"GET /\xff HTTP/1.1\r\n", -400},
	    {"GET / HTTP/1.1 \r\n", -400},
	    {"GET / HTTP/2.0\r\n", -505},
	    {"GET / HTTP/1.2\r\n", -505},
	    {"GET /\r\n", -400},
	    {"GET / HTTP/1.1\n", -400},
	    {"\r\nGET / HTTP/1.1\r\n", -400},
	    {"GET / HTTP/1.1\r\n\r\n", -400},
	    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", -400},
	    {"GET / HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n", -400},
	    {"GET / HTTP/1.1\r\nHost : a\r\n", -400},
	    {"GET / HTTP/1.1\r\n Host: a\r\n", -400},
	    {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n", -400},
	    {"GET / HTTP/1.1\r\nHost: a\x01\r\n", -400},
	    {"GET / HTTP/1.1\r\nNo colon\r\n", -400},
	    {"GET / HTTP/1.1\r\nContent-Length: 1\r\n", -413},
	    {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", -413},
	};
	struct wf_http_request r;

	for (size_t i = 0; i < wf_countof(cases); i++)
		EXPECT_EQ(parse(cases[i].text, &r), cases[i].status);
}

TEST(a_head_without_end_is_refused)
{
	struct wf_http_request r;
	char *text = malloc(3 * WF_HTTP_HEAD_MAX);

	memset(text, 'a', 3 * WF_HTTP_HEAD_MAX);
	memcpy(text, "GET /", 5);
	EXPECT_EQ(wf_http_parse(text, WF_HTTP_HEAD_MAX - 1, &r), 0);
	EXPECT_EQ(wf_http_parse(text, WF_HTTP_HEAD_MAX, &r), -431);
	EXPECT_EQ(wf_http_parse(text, 3 * WF_HTTP_HEAD_MAX, &r), -431);
	free(text);
}

TEST(only_this_machine_is_local)
{
	static const char *const yes[] = {"localhost", "LOCALHOST:1", "127.0.0.1",
	    "127.0.0.1:65535", "127.0.0.2", "127.255.0.10:8080", "[::1]", "[::1]:80"};
	static const char *const no[] = {"", "localhost.", "localhost.evil.org", "localhost:",
	    "evil.org", "127.0.0.1.evil.org", "127.0.0.1000", "localhost:1a", "localhost:123456",
	    "[::1", "::1", "127.0.0.1:80:80", "127.0.0.256", "127.0.0", "127.0.0.", "127.0.0.01",
	    "127.0..1", "128.0.0.1", "127.0.0.1.1", "127.0.0.2.evil.org", "0127.0.0.1", ":80", ""};

	for (size_t i = 0; i < wf_countof(yes); i++)
		EXPECT(wf_http_host_is_local((struct wf_http_text){yes[i], strlen(yes[i])}));
	for (size_t i = 0; i < wf_countof(no); i++)
		if (wf_http_host_is_local((struct wf_http_text){no[i], strlen(no[i])}))
			FAIL("%s passed", no[i]);
	EXPECT(!wf_http_host_is_local((struct wf_http_text){NULL, 0}));
}

/* Requests with random damage: nothing may be read outside of the buffer (asan), and what passes
 * has a path and a host inside of it. */
TEST(damaged_requests_do_no_harm)
{
	static const char text[] = "GET /debug/weft?a=b HTTP/1.1\r\nHost: localhost:8080\r\n"
	    "Authorization: Bearer 0123\r\nContent-Length: 0\r\n\r\n";
	static const char odd[] = "\r\n :?&=/\x00\xff" "aH";
	uint64_t state = test_seed();

	for (int i = 0; i < 200000 / test_scale(); i++) {
		size_t n = test_rand(&state) % sizeof(text), at;
		char *copy = malloc(n + 1);
		struct wf_http_request r;
		int len;

		memcpy(copy, text, n);
		for (int k = 0; k < 3 && n > 0; k++)
			copy[test_rand(&state) % n] = odd[test_rand(&state) % (sizeof(odd) - 1)];
		len = wf_http_parse(copy, n, &r);
		EXPECT(len <= (int)n);
		if (len > 0) {
			at = (size_t)(r.path.s - copy);
			EXPECT(r.path.s[0] == '/' && at + r.path.n <= n);
			EXPECT(r.host.s >= copy && r.host.s + r.host.n <= copy + n);
			(void)wf_http_query(&r, "a");
			(void)wf_http_host_is_local(r.host);
		}
		free(copy);
	}
}
