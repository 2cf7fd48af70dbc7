/*
 * What the server says: messages, the line on the terminal, the access log.
 */
#include "httpd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A log that nobody reads must not stop the server: after this long a line is dropped. */
#define LOG_NS (1 * SECOND)

/* To the start of the line, and nothing after it. */
#define WIPE "\r\033[K"

/* True while the status line stands on the terminal and must be wiped before other text. */
static atomic_bool line_shown;

void
say(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One call, so that two goroutines that complain do not mix their words. */
	fprintf(stderr, "%sweft-httpd: %s\n", atomic_exchange(&line_shown, false) ? WIPE : "",
	    text);
}

void
status_run(void *arg)
{
	struct server *s = arg;
	FILE *out = isatty(2) ? stderr : stdout;
	uint64_t before = 0;

	while (!atomic_load(&s->stopping)) {
		uint64_t n = atomic_load(&s->nrequests);
		char sent[SIZE_TEXT];

		format_size(sent, atomic_load(&s->nbytes));
		fprintf(out, WIPE "%llu requests (%llu/s), %d connections, %d goroutines, "
		    "%d threads, %s sent", (unsigned long long)n, (unsigned long long)(n - before),
		    atomic_load(&s->nconns), weft_numgoroutine(), sys_count_threads(), sent);
		fflush(out);
		atomic_store(&line_shown, true);
		before = n;
		weft_sleep(SECOND);
	}
}

/* "[06/Nov/1994:08:49:37 +0000]" out of "Sun, 06 Nov 1994 08:49:37 GMT" */
static void
format_log_date(char to[32])
{
	char d[HTTP_DATE_LEN];

	http_date_format(d, time(NULL));
	snprintf(to, 32, "[%.2s/%.3s/%.4s:%.8s +0000]", d + 5, d + 8, d + 12, d + 17);
}

/* A client chooses these bytes: nothing of them may look like the end of a line. */
static size_t
copy_target(char *to, size_t cap, struct span from)
{
	size_t n = 0;

	for (size_t i = 0; i < from.n && n + 4 < cap; i++) {
		unsigned char c = (unsigned char)from.p[i];

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			n += (size_t)snprintf(to + n, 5, "\\x%02x", c);
		else
			to[n++] = (char)c;
	}
	to[n] = '\0';
	return n;
}

void
access_log(struct conn *c, const struct request *r, int status, int64_t body_bytes)
{
	char line[1400], target[1024], date[32];
	int n;

	copy_target(target, sizeof(target), r->uri);
	format_log_date(date);
	n = snprintf(line, sizeof(line), "%s - - %s \"%s %s HTTP/%d.%d\" %d %lld\n", c->peer, date,
	    r->method ? r->method : "-", target[0] ? target : "-", r->parser.http_major,
	    r->parser.http_minor, status, (long long)body_bytes);
	/* Writers of one descriptor wait in line, so lines stay whole. */
	if (n > 0)
		weft_write(c->server->log_fd, line, (size_t)n, weft_in(LOG_NS));
}
