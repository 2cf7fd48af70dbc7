/*
 * What the debug endpoint answers. A row of the table for each path; the answer ends with the
 * connection.
 */
#include "debug/serve.h"

#include <weft/profile.h>
#include <weft/trace.h>
#include "debug/dump.h"
#include "debug/metrics.h"
#include "debug/profile_table.h"
#include "debug/tracer.h"
#include "os/os.h"
#include "sched/hooks.h"

#include <errno.h>
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

static void
answer_refusal(int fd, int status, const char *reason)
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
	    {409, "409 Conflict"},
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
	wf_out_str(&o, reason != NULL ? ": " : "");
	wf_out_str(&o, reason != NULL ? reason : "");
	wf_out_str(&o, "\n");
	wf_out_flush(&o);
}

void
wf_answer_status(int fd, int status)
{
	answer_refusal(fd, status, NULL);
}

static void
answer_metrics(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	print_head(o, "200 OK", "text/plain; version=0.0.4; charset=utf-8");
	wf_metrics_print(o);
}

/* A profile. Once the head is out, an error can only be told by an end that comes too soon. */
static void
answer_profile(struct wf_out *o, const char *name)
{
	print_head(o, "200 OK", "application/octet-stream");
	wf_out_flush(o);
	(void)weft_profile_write(name, o->fd);
}

static void
answer_block(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	answer_profile(o, "block");
}

static void
answer_mutex(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	answer_profile(o, "mutex");
}

static void
answer_leak(struct wf_out *o, const struct wf_http_request *r)
{
	(void)r;
	answer_profile(o, "leak");
}

/* The profile, or with debug=1 the same as text, with debug=2 weft_dump()'s, as Go's endpoint. */
static void
answer_goroutines(struct wf_out *o, const struct wf_http_request *r)
{
	int64_t form = wf_http_query_number(r, "debug", 0, 2, 0);
	struct dump *d;

	if (form == 0) {
		answer_profile(o, "goroutine");
		return;
	}
	if (form == 1) {
		print_head(o, "200 OK", "text/plain; charset=utf-8");
		wf_out_flush(o);
		(void)wf_profile_goroutines_print(o->fd);
		return;
	}
	d = malloc(sizeof(*d));
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

/* What used the processors in the next seconds. */
static void
answer_cpu(struct wf_out *o, const struct wf_http_request *r)
{
	int ms = 1000 * (int)wf_http_query_number(r, "seconds", 1, 600, 30);
	int e = weft_profile_cpu_start(0);

	if (e == -EBUSY) {
		answer_refusal(o->fd, 409, "a CPU profile is being taken already, or the program "
		    "has a handler for SIGPROF");
		return;
	}
	if (e != 0) {
		answer_refusal(o->fd, 503, "there is no memory for a CPU profile");
		return;
	}
	/* The head says that it has begun. */
	print_head(o, "200 OK", "application/octet-stream");
	wf_out_flush(o);
	(void)wf_os_poll_wait(o->fd, POLLIN, ms);
	(void)weft_profile_cpu_stop(o->fd);
}

/* An execution trace of the next seconds, or until the reader goes. */
static void
answer_trace(struct wf_out *o, const struct wf_http_request *r)
{
	int ms = 1000 * (int)wf_http_query_number(r, "seconds", 1, 600, 1), error;
	struct wf_out head;

	/* The tracer writes both, so that nothing has been said when it can't. */
	wf_out_init(&head, -1);
	print_head(&head, "200 OK", "application/octet-stream");
	error = wf_trace_start_after(o->fd, head.buf, head.n);
	if (error == -EBUSY) {
		answer_refusal(o->fd, 409, "a trace is being taken already");
		return;
	}
	if (error != 0) {
		answer_refusal(o->fd, 503, "there is no thread or descriptor for a trace");
		return;
	}
	(void)wf_os_poll_wait(o->fd, POLLIN, ms);
	(void)weft_trace_stop();
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

#define PPROF "/debug/pprof/"

static const struct {
	const char *path, *help;
	void (*answer)(struct wf_out *o, const struct wf_http_request *r);
	bool enters;		/* calls weft, which adopts the thread */
} answers[] = {
    {"/", "this list", answer_index, false},
    {"/metrics", "figures, for Prometheus", answer_metrics, false},
    {PPROF, "the profiles of it", answer_index, false},
    {"/debug/pprof/goroutine", "all goroutines; ?debug=1, ?debug=2: as text",
     answer_goroutines, true},
    {"/debug/pprof/goroutineleak", "those that nobody can wake, or wait for a minute",
     answer_leak, true},
    {"/debug/pprof/block", "waits, if weft_profile_block_rate() is set", answer_block, true},
    {"/debug/pprof/mutex", "waits for locks, if ..._mutex_fraction() is set", answer_mutex, true},
    {"/debug/pprof/profile", "what uses the processors; ?seconds=N", answer_cpu, true},
    {"/debug/pprof/trace", "an execution trace; ?seconds=N", answer_trace, true},
    {"/debug/weft", "the scheduler's state as JSON", answer_snapshot, false},
    {"/debug/weft/events", "the same again and again; ?interval=MS", answer_events, false},
};

/* All there is; below Go's folder of profiles, what is there. */
static void
answer_index(struct wf_out *o, const struct wf_http_request *r)
{
	size_t n = wf_http_is(r->path, PPROF) ? sizeof(PPROF) - 1 : 0;

	print_head(o, "200 OK", "text/plain; charset=utf-8");
	for (size_t i = 0; i < wf_countof(answers); i++) {
		if (strncmp(answers[i].path, PPROF, n) != 0)
			continue;
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
		if (answers[i].enters)
			wf_servant_enters();
		answers[i].answer(&o, r);
		wf_out_flush(&o);
		return;
	}
	wf_answer_status(fd, 404);
}
