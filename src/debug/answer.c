/*
 * What the debug endpoint answers. A row of the table for each path; the answer ends with the
 * connection.
 */
#include "debug/serve.h"

#include "debug/dump.h"
#include "debug/metrics.h"
#include "os/os.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static void
print_head(struct wf_out *o, const char *status, const char *type)
{
	wf_out_str(o, "HTTP/1.1 ");
	wf_out_str(o, status);
	wf_out_str(o, "\r\nContent-Type: ");
	wf_out_str(o, type);
	wf_out_str(o, "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
	    "Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n");
}

void
wf_answer_status(int fd, int status)
{
	static const struct {
		int status;
		const char *text;
	} all[] = {
	    {400, "400 Bad Request"},
	    {401, "401 Unauthorized"},
	    {403, "403 Forbidden"},
	    {404, "404 Not Found"},
	    {405, "405 Method Not Allowed"},
	    {413, "413 Content Too Large"},
	    {431, "431 Request Header Fields Too Large"},
	    {503, "503 Service Unavailable"},
	    {505, "505 HTTP Version Not Supported"},
	};
	const char *text = "500 Internal Server Error";
	struct wf_out o;

	for (size_t i = 0; i < wf_countof(all); i++)
		if (all[i].status == status)
			text = all[i].text;
	wf_out_init(&o, fd);
	print_head(&o, text, "text/plain; charset=utf-8");
	wf_out_str(&o, text + 4);
	wf_out_str(&o, "\n");
	wf_out_flush(&o);
}

static void
answer_metrics(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	print_head(o, "200 OK", "text/plain; version=0.0.4; charset=utf-8");
	wf_metrics_print(o);
}

/* As weft_dump(): what Go's endpoint gives for debug=2. */
static void
answer_goroutines(struct wf_out *o, const struct wf_http_request *r)
{
	struct dump *d = malloc(sizeof(*d));

	(void)r;
	if (d == NULL) {
		print_head(o, "503 Service Unavailable", "text/plain");
		return;
	}
	print_head(o, "200 OK", "text/plain; charset=utf-8");
	wf_out_flush(o);
	wf_dump_init(d, o->fd);
	wf_dump_others(d);
	wf_dump_fini(d);
	free(d);
}

static void
answer_snapshot(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	print_head(o, "200 OK", "application/json");
	wf_snapshot_print(o);
	wf_out_str(o, "\n");
}

/* Server-sent events: a snapshot every so often, until the reader goes. */
static void
answer_events(struct wf_out *o, const struct wf_http_request *r)
{
	int ms = (int)wf_http_query_number(r, "interval", 100, 60000, 1000);
	char byte;

	print_head(o, "200 OK", "text/event-stream");
	while (!o->is_broken) {
		wf_out_str(o, "event: snapshot\ndata: ");
		wf_snapshot_print(o);
		wf_out_str(o, "\n\n");
		wf_out_flush(o);
		/* Nothing more is to come from it but its end. */
		if (wf_os_poll_wait(o->fd, POLLIN, ms) > 0 && wf_os_recv(o->fd, &byte, 1, 0) <= 0)
			break;
	}
}

static void answer_index(struct wf_out *o, const struct wf_http_request *r);

static const struct {
	const char *path, *help;
	void (*answer)(struct wf_out *o, const struct wf_http_request *r);
} answers[] = {
    {"/", "this list", answer_index},
    {"/metrics", "figures, for Prometheus", answer_metrics},
    {"/debug/pprof/goroutine", "all goroutines with their stacks, as text", answer_goroutines},
    {"/debug/weft", "the scheduler's state as JSON", answer_snapshot},
    {"/debug/weft/events", "the same again and again; ?interval=MS", answer_events},
};

static void
answer_index(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	print_head(o, "200 OK", "text/plain; charset=utf-8");
	for (size_t i = 0; i < wf_countof(answers); i++) {
		wf_out_str(o, answers[i].path);
		wf_out_str(o, "  ");
		wf_out_str(o, answers[i].help);
		wf_out_str(o, "\n");
	}
}

void
wf_answer(int fd, const struct wf_http_request *r)
{
	struct wf_out o;

	for (size_t i = 0; i < wf_countof(answers); i++) {
		if (!wf_http_is(r->path, answers[i].path))
			continue;
		wf_out_init(&o, fd);
		answers[i].answer(&o, r);
		wf_out_flush(&o);
		return;
	}
	wf_answer_status(fd, 404);
}
