/*
 * For libFuzzer: the value of WEFT_DEBUG.
 *
 * fuzz: src/debug/env.c
 */
#include "debug/out.h"
#include "sched/hooks.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What is said of an item that means nothing: how often, and of which bytes. */
static int n_warnings;
static const char *text_lo, *text_hi;

void
wf_out_init(struct wf_out *o, int fd)
{
	(void)o;
	(void)fd;
	n_warnings++;
}

void
wf_out_mem(struct wf_out *o, const char *s, size_t n)
{
	(void)o;
	if (s >= text_lo && s < text_hi && (n == 0 || s + n > text_hi))
		abort();
}

void
wf_out_str(struct wf_out *o, const char *s)
{
	(void)o;
	(void)s;
}

void
wf_out_flush(struct wf_out *o)
{
	(void)o;
}

static int
items(const char *s)
{
	int n = 0;

	for (bool inside = false; *s != '\0'; s++) {
		n += *s != ',' && !inside;
		inside = *s != ',';
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const int64_t max = 999999999;
	char *text = malloc(n + 1);
	struct wf_debug d, none;

	memcpy(text, data, n);
	text[n] = '\0';
	text_lo = text;
	text_hi = text + strlen(text);
	n_warnings = 0;
	wf_debug_parse("", &none);
	wf_debug_parse(text, &d);
	if (d.schedtrace_ms < 0 || d.schedtrace_ms > max || d.trace_period_ns < 0 ||
	    d.trace_period_ns > max || d.leak_search_ms < 0 || d.leak_search_ms > max ||
	    memchr(d.guard, '\0', sizeof(d.guard)) == NULL)
		abort();
	if (d.guard[0] != '\0' && strcmp(d.guard, "madvise") != 0 &&
	    strcmp(d.guard, "mprotect") != 0 && strcmp(d.guard, "canary") != 0)
		abort();
	/* Each item is understood or spoken of; what is only spoken of sets nothing. */
	if (n_warnings > items(text))
		abort();
	if (n_warnings == items(text) && memcmp(&d, &none, sizeof(d)) != 0)
		abort();
	free(text);
	return 0;
}
